/* fuzz_mcmc.c: saved states of bml_mcmc.h with words changed and their checksum mended, as an attacker would. Input: one
   byte that says which sampler, then records of 11 bytes: which word (3 bytes), its new value (8 bytes). A state is
   refused, or taken and run on for a little; nothing is read or written outside. */
#undef BML_MCMC_IMPLEMENTED /* the checksum is an internal */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

static void normal(double *lp, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++) {
        lp[i] = 0;
        for (int k = 0; k < d; k++)
            lp[i] -= 0.5 * x[i * d + k] * x[i * d + k];
    }
}
static void gradient(double *lp, double *g, const double *x, int n, int d, void *user) {
    normal(lp, x, n, d, user);
    for (int i = 0; i < n * d; i++)
        g[i] = -x[i];
}
static int box(double *theta, const double *cube, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n * d; i++)
        theta[i] = 10 * cube[i] - 5;
    return 0;
}
static int calls;
static int cancel(const bml_mcmc_nested_progress *p, void *user) {
    (void)p;
    (void)user;
    return ++calls > 100;
}

static bml_mcmc_ensemble *ensemble;
static bml_mcmc_nested *nested;
static bml_mcmc_nuts *nuts[2];
static unsigned char *state[4];
static size_t size[4];

static void prepare(void) {
    static const double zero[2] = {0, 0};
    static const double one[2] = {1, 1};
    static const double start[4] = {0.1, 0.2, -0.3, 0.4};
    bml_mcmc_config c = {.n_dim = 2, .n_walkers = 8, .log_prob = normal};
    bml_mcmc_nested_config n = {
        .n_dim = 2, .live_points = 10, .log_likelihood = normal, .transform = box, .progress = cancel};
    if (bml_mcmc_ensemble_create(&ensemble, &c, NULL) || bml_mcmc_start_ball(ensemble, zero, one)) abort();
    if (bml_mcmc_run(ensemble, 9) || bml_mcmc_nested_create(&nested, &n, NULL)) abort();
    bml_mcmc_nested_run(nested, 60);
    for (int metric = 0; metric < 2; metric++) {
        bml_mcmc_nuts_config u = {
            .n_dim = 2, .n_chains = 2, .log_prob = gradient, .metric = metric, .warmup = 20, .max_depth = 5};
        if (bml_mcmc_nuts_create(&nuts[metric], &u, NULL) || bml_mcmc_nuts_start(nuts[metric], start)) abort();
        if (bml_mcmc_nuts_run(nuts[metric], 4)) abort();
    }
    size[0] = bml_mcmc_ensemble_save_size(ensemble);
    size[1] = bml_mcmc_nested_save_size(nested);
    for (int k = 0; k < 2; k++)
        size[2 + k] = bml_mcmc_nuts_save_size(nuts[k]);
    for (int k = 0; k < 4; k++) {
        state[k] = malloc(size[k]);
        if (!state[k]) abort();
    }
    bml_mcmc_ensemble_save(ensemble, state[0], size[0]);
    bml_mcmc_nested_save(nested, state[1], size[1]);
    for (int k = 0; k < 2; k++)
        bml_mcmc_nuts_save(nuts[k], state[2 + k], size[2 + k]);
}

static void load(int kind, const void *bytes, size_t n) {
    bml_mcmc_nested_result r;
    bml_mcmc_verdict v;
    calls = 0;
    if (kind == 0 && !bml_mcmc_ensemble_load(ensemble, bytes, n)) {
        bml_mcmc_run(ensemble, 2);
        bml_mcmc_ensemble_verdict(&v, ensemble, 0);
    } else if (kind == 1 && !bml_mcmc_nested_load(nested, bytes, n)) {
        bml_mcmc_nested_run(nested, 50);
        bml_mcmc_nested_get_result(nested, &r);
    } else if (kind > 1 && !bml_mcmc_nuts_load(nuts[kind - 2], bytes, n)) {
        bml_mcmc_nuts_run(nuts[kind - 2], 2);
        bml_mcmc_nuts_verdict(&v, nuts[kind - 2]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (!ensemble) prepare();
    if (n < 1) return 0;
    int kind = data[0] % 4;
    unsigned char *copy = malloc(size[kind]);
    if (!copy) return 0;
    memcpy(copy, state[kind], size[kind]);
    size_t words = size[kind] / 8;
    for (size_t at = 1; at + 11 <= n; at += 11) {
        size_t word = (data[at] | (size_t)data[at + 1] << 8 | (size_t)data[at + 2] << 16) % words;
        memcpy(copy + 8 * word, data + at + 3, 8);
    }
    uint64_t sum = bml_mcmc__checksum(copy + 8 * BML_MCMC__HEAD, (ptrdiff_t)words - BML_MCMC__HEAD);
    memcpy(copy + 24, &sum, 8);
    load(kind, copy, size[kind]);
    free(copy);
    return 0;
}
