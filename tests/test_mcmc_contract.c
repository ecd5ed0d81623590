/* test_mcmc_contract.c: what bml_mcmc.h owes to the world around it. Every allocation that fails is NO_MEMORY without a
   leak (the address sanitizer sees it); every word of every saved state, changed and its checksum mended, is refused or
   harmless; refusals name member, value and range; joint priors are cheap; after an error a run goes on; samplers in
   seven threads do not meet. The names of windows.h are defined as macros here. */
#undef BML_MCMC_IMPLEMENTED /* internals and allocators of its own */
#include "check.h"
#include <float.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#define small char
#define near
#define far
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define interface struct
#define IN
#define OUT
#define ERROR 0
#define CONST const
#define VOID void

static long allocations;
static long fail_at = -1; /* the number of the one that fails; all after it fail too when sticky */
static long living;
static int sticky;

static int denied(void) {
    long number = allocations++;
    return fail_at >= 0 && (sticky ? number >= fail_at : number == fail_at);
}
static void *counted_malloc(size_t n) {
    void *p = denied() ? NULL : malloc(n);
    if (p) living++;
    return p;
}
static void *counted_realloc(void *old, size_t n) {
    void *p = denied() ? NULL : realloc(old, n);
    if (p && !old) living++;
    return p;
}
static void counted_free(void *p) {
    if (p) living--;
    free(p);
}
#define BML_MCMC_MALLOC(n) counted_malloc(n)
#define BML_MCMC_REALLOC(p, n) counted_realloc(p, n)
#define BML_MCMC_FREE(p) counted_free(p)
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

static const double infinite = (double)INFINITY;
static const double not_a_number = (double)NAN;
static uint64_t seed;
static char why[BML_MCMC_MESSAGE];

/* ---- targets ---- */

static void normal(double *lp, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++) {
        lp[i] = 0;
        for (int k = 0; k < d; k++)
            lp[i] -= 0.5 * x[i * d + k] * x[i * d + k];
    }
}
static void normal_gradient(double *lp, double *g, const double *x, int n, int d, void *user) {
    normal(lp, x, n, d, user);
    for (int i = 0; i < n * d; i++)
        g[i] = -x[i];
}
/* A bent ridge, for what has to learn a shape. */
static void banana(double *lp, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d) {
        const double off = x[1] - x[0] * x[0];
        lp[i] = -100 * off * off - (1 - x[0]) * (1 - x[0]);
    }
}
/* The first parameter squared, and the sum, carried along. */
static void normal_derived(double *lp, double *derived, const double *x, int n, int d, void *user) {
    normal(lp, x, n, d, user);
    for (int i = 0; i < n; i++) {
        derived[2 * i] = x[i * d] * x[i * d];
        derived[2 * i + 1] = 0;
        for (int k = 0; k < d; k++)
            derived[2 * i + 1] += x[i * d + k];
    }
}
static int box(double *theta, const double *cube, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n * d; i++)
        theta[i] = 10 * cube[i] - 5;
    return 0;
}
static void above(double *lower, double *upper, const double *theta, int i, void *user) {
    (void)upper;
    (void)user;
    if (theta[i - 1] > *lower) *lower = theta[i - 1];
}

/* ---- out of memory: each workload returns the first status that is not OK ---- */

static bml_mcmc_prior *make_prior(int *status) {
    static const double x[3] = {-3, 0, 3};
    static const double w[3] = {0, 1, 0};
    bml_mcmc_prior_param p[3] = {{.lower = -5, .upper = 5, .joint = 1},
                                 {.lower = -5, .upper = 5, .bounds = above},
                                 {.kind = BML_MCMC_TABLE, .x = x, .density = w, .n = 3}};
    bml_mcmc_prior *prior = NULL;
    *status = bml_mcmc_prior_create(&prior, p, 3, why);
    return prior;
}

static int ensemble_workload(void) {
    static double reference[3 * 200];
    static double state[20000];
    bml_mcmc_move moves[3] = {{BML_MCMC_MIXTURE, 1, 0, 0}, {BML_MCMC_KDE, 1, 0, 0}, {BML_MCMC_SURROGATE, 1, 0, 3}};
    bml_mcmc_rng rng;
    int status;
    bml_mcmc_ensemble *e = NULL;
    bml_mcmc_summary summary[3];
    bml_mcmc_verdict v;
    bml_mcmc_rng_init(&rng, seed, 1);
    for (int i = 0; i < 3 * 200; i++)
        reference[i] = bml_mcmc_rng_normal(&rng);
    bml_mcmc_prior *prior = make_prior(&status);
    bml_mcmc_config c = {.n_dim = 3,
                         .n_walkers = 12,
                         .log_prob_derived = normal_derived,
                         .n_derived = 2,
                         .surrogate = normal,
                         .reference = reference,
                         .n_reference = 200,
                         .moves = moves,
                         .n_moves = 3,
                         .prior = prior};
    if (!status) status = bml_mcmc_ensemble_create(&e, &c, why);
    if (!status) status = bml_mcmc_start_prior(e, prior);
    if (!status) status = bml_mcmc_run(e, 20);
    if (!status) status = bml_mcmc_run(e, 20);
    if (!status) status = bml_mcmc_ensemble_summary(e, summary, 0);
    if (status == BML_MCMC_NOT_CONVERGED) status = bml_mcmc_ensemble_verdict(&v, e, 0);
    if (status == BML_MCMC_NOT_CONVERGED) status = BML_MCMC_OK;
    if (!status) status = bml_mcmc_ensemble_save(e, state, sizeof state);
    bml_mcmc_goal goal = {.ess = 1, .steps = 150};
    if (!status) status = bml_mcmc_run_until(e, &v, &goal);
    if (status == BML_MCMC_NOT_CONVERGED) status = BML_MCMC_OK;
    if (!status) status = bml_mcmc_ensemble_load(e, state, sizeof state);
    bml_mcmc_ensemble_free(e);
    bml_mcmc_prior_free(prior);
    return status;
}

static int nested_workload(void) {
    double draws[30];
    int status;
    bml_mcmc_nested *s = NULL;
    bml_mcmc_nested_result r;
    bml_mcmc_summary summary[3];
    bml_mcmc_verdict v;
    bml_mcmc_prior *prior = make_prior(&status);
    bml_mcmc_nested_config c = {
        .n_dim = 3, .live_points = 20, .seed = 3, .log_likelihood = normal, .prior = prior, .min_ess = 200};
    if (!status) status = bml_mcmc_nested_create(&s, &c, why);
    if (!status) status = bml_mcmc_nested_run(s, 0);
    if (!status) status = bml_mcmc_nested_get_result(s, &r);
    if (!status) status = bml_mcmc_nested_summary(s, summary);
    if (!status) status = bml_mcmc_nested_draw(s, draws, NULL, 10, 1);
    if (!status) status = bml_mcmc_nested_verdict(&v, s);
    if (status == BML_MCMC_NOT_CONVERGED) status = BML_MCMC_OK;
    size_t size = bml_mcmc_nested_save_size(s);
    void *state = malloc(size + 1);
    if (!status) status = bml_mcmc_nested_save(s, state, size);
    if (!status) status = bml_mcmc_nested_load(s, state, size);
    if (!status) status = bml_mcmc_nested_get_result(s, &r);
    double *l = calloc(status ? 1 : r.n_points, sizeof *l);
    if (!status) status = bml_mcmc_nested_reweigh(s, NULL, l);
    free(l);
    free(state);
    bml_mcmc_nested_free(s);
    c.method = BML_MCMC_NESTED_SLICE;
    c.min_ess = 0;
    s = NULL;
    if (!status) status = bml_mcmc_nested_create(&s, &c, why);
    if (!status) status = bml_mcmc_nested_run(s, 0);
    bml_mcmc_nested_free(s);
    bml_mcmc_prior_free(prior);
    return status;
}

static int nuts_workload(void) {
    int status;
    bml_mcmc_nuts *s = NULL;
    bml_mcmc_verdict v;
    bml_mcmc_prior *prior = make_prior(&status);
    bml_mcmc_nuts_config c = {
        .n_dim = 3, .n_chains = 2, .log_prob = normal_gradient, .metric = BML_MCMC_DENSE, .warmup = 40, .prior = prior};
    if (!status) status = bml_mcmc_nuts_create(&s, &c, why);
    if (!status) status = bml_mcmc_nuts_start_prior(s);
    if (!status) status = bml_mcmc_nuts_run(s, 20);
    if (!status) status = bml_mcmc_nuts_verdict(&v, s);
    if (status == BML_MCMC_NOT_CONVERGED) status = BML_MCMC_OK;
    size_t size = bml_mcmc_nuts_save_size(s);
    void *state = malloc(size + 1);
    if (!status) status = bml_mcmc_nuts_save(s, state, size);
    if (!status) status = bml_mcmc_nuts_load(s, state, size);
    free(state);
    bml_mcmc_nuts_free(s);
    bml_mcmc_prior_free(prior);
    return status;
}

static int importance_workload(bml_mcmc_log_prob guide) {
    bml_mcmc_importance *s = NULL;
    bml_mcmc_importance *again = NULL;
    bml_mcmc_importance_result r;
    bml_mcmc_summary summary[2];
    const bml_mcmc_importance_config c = {.n_dim = 2,
                                          .log_likelihood = banana,
                                          .transform = box,
                                          .guide = guide,
                                          .points = 50,
                                          .min_ess = 200,
                                          .error = 1,
                                          .seed = 1};
    int status = bml_mcmc_importance_create(&s, &c, why);
    if (!status) status = bml_mcmc_importance_run(s, 0);
    if (!status) status = bml_mcmc_importance_get_result(s, &r);
    if (!status) status = bml_mcmc_importance_reweigh(s, &r, r.log_likelihood);
    if (!status) status = bml_mcmc_importance_summary(s, summary);
    const size_t size = status ? 0 : bml_mcmc_importance_save_size(s);
    void *state = malloc(size + 1);
    if (!status) status = bml_mcmc_importance_save(s, state, size);
    if (!status) status = bml_mcmc_importance_create(&again, &c, why);
    if (!status) status = bml_mcmc_importance_load(again, state, size);
    free(state);
    bml_mcmc_importance_free(s);
    bml_mcmc_importance_free(again);
    return status;
}
static int unguided_workload(void) {
    return importance_workload(NULL);
}
static int guided_workload(void) {
    return importance_workload(banana);
}

/* Every step-th allocation fails, with all that follow, and where all are tried alone, too. */
static void no_memory(int (*workload)(void), const char *name, long step) {
    long wrong = 0;
    long leaked = 0;
    fail_at = -1;
    allocations = 0;
    int status = workload();
    long n = allocations;
    CHECK(!status && n > 0 && !living, "%s: %ld allocations, all freed: %s", name, n, bml_mcmc_strerror(status));
    for (sticky = step > 1; sticky < 2; sticky++)
        for (fail_at = 0; fail_at < n; fail_at += step) {
            allocations = 0;
            status = workload();
            wrong += status != BML_MCMC_NO_MEMORY;
            leaked += living != 0;
            living = 0;
        }
    fail_at = -1;
    sticky = 0;
    CHECK(!wrong && !leaked, "%s: of %ld allocations every %ldth failing: %ld not NO_MEMORY, %ld leaked", name, n, step,
          wrong, leaked);
    CHECK(!workload(), "%s: works afterwards", name);
}

/* A create that fails: NULL, and the reason. */
static void test_refusals(void) {
    bml_mcmc_prior *prior = (bml_mcmc_prior *)(void *)why;
    bml_mcmc_ensemble *e = (bml_mcmc_ensemble *)(void *)why;
    bml_mcmc_nested *s = (bml_mcmc_nested *)(void *)why;
    bml_mcmc_nuts *nuts = (bml_mcmc_nuts *)(void *)why;
    bml_mcmc_prior_param p = {.lower = 2, .upper = 1};
    bml_mcmc_config c = {.n_dim = -3, .log_prob = normal};
    bml_mcmc_nested_config n = {.n_dim = 2, .log_likelihood = normal, .transform = box, .remaining = 2};
    bml_mcmc_nuts_config u = {.n_dim = 2, .log_prob = normal_gradient, .max_depth = 40};
    int status = bml_mcmc_prior_create(&prior, &p, 1, why);
    CHECK(status == BML_MCMC_BAD_ARGUMENT && !prior && strstr(why, "lower = 2, upper = 1"), "prior: %s", why);
    status = bml_mcmc_ensemble_create(&e, &c, why);
    CHECK(status == BML_MCMC_BAD_ARGUMENT && !e && strstr(why, "n_dim = -3: must be in [1, 10000]"), "ensemble: %s",
          why);
    c.n_dim = 0;
    status = bml_mcmc_ensemble_create(&e, &c, why);
    CHECK(status == BML_MCMC_BAD_ARGUMENT && !e && strstr(why, "n_dim = 0: required"), "ensemble: %s", why);
    status = bml_mcmc_nested_create(&s, &n, why);
    CHECK(status == BML_MCMC_BAD_ARGUMENT && !s && strstr(why, "remaining = 2: must be in"), "nested: %s", why);
    n.remaining = not_a_number;
    status = bml_mcmc_nested_create(&s, &n, why);
    CHECK(status == BML_MCMC_BAD_ARGUMENT && !s && strstr(why, "remaining = "), "nested: NaN: %s", why);
    status = bml_mcmc_nuts_create(&nuts, &u, why);
    CHECK(status == BML_MCMC_BAD_ARGUMENT && !nuts && strstr(why, "max_depth = 40: must be in [1, 16]"), "nuts: %s",
          why);
    u.max_depth = 0;
    CHECK(!bml_mcmc_nuts_create(&nuts, &u, why) && nuts && !why[0], "and none when it succeeds");
    bml_mcmc_nuts_free(nuts);
}

/* ---- saved states ---- */

static int cancel_soon(void) {
    static int calls;
    return ++calls % 200 == 0; /* a forged run may go on for ever */
}
static int nested_cancel(const bml_mcmc_nested_progress *p, void *user) {
    (void)p;
    (void)user;
    return cancel_soon();
}

/* Sets word `at` of a state to `value` and mends its checksum. */
static void forge(unsigned char *state, size_t size, size_t at, uint64_t value) {
    uint64_t sum;
    memcpy(state + 8 * at, &value, 8);
    sum = bml_mcmc__checksum(state + 8 * BML_MCMC__HEAD, (ptrdiff_t)(size / 8) - BML_MCMC__HEAD);
    if (at != 3) memcpy(state + 24, &sum, 8);
}

static const uint64_t forged[] = {0,
                                  1,
                                  2,
                                  0x7FFFFFFF,
                                  0xFFFFFFFF,
                                  1ull << 40,
                                  1ull << 62,
                                  ~0ull,
                                  0x7FF0000000000000ull, /* infinity */
                                  0xFFF0000000000000ull,
                                  0x7FF8000000000000ull, /* NaN */
                                  0x3FF0000000000000ull, /* 1 */
                                  0xBFF0000000000000ull,
                                  0x7FE0000000000000ull,
                                  1ull << 63};
enum { FORGED = sizeof forged / sizeof forged[0] };

typedef struct counts {
    long refused;
    long taken;
} counts;

static void ensemble_forged(counts *n, void *sampler, unsigned char *state, size_t size) {
    bml_mcmc_ensemble *e = sampler;
    bml_mcmc_summary s[3];
    int status = bml_mcmc_ensemble_load(e, state, size);
    *(status ? &n->refused : &n->taken) += 1;
    if (status) return;
    bml_mcmc_run(e, 2);
    bml_mcmc_ensemble_summary(e, s, 0);
}
static void nested_forged(counts *n, void *sampler, unsigned char *state, size_t size) {
    bml_mcmc_nested *s = sampler;
    bml_mcmc_nested_result r;
    int status = bml_mcmc_nested_load(s, state, size);
    *(status ? &n->refused : &n->taken) += 1;
    if (status) return;
    /* to go on takes long, and a result a hundred times as long: some of the states, or all in a long check */
    const int longer = getenv("BML_CHECK_LONG") != NULL;
    if (longer || n->taken % 4 == 0) bml_mcmc_nested_run(s, 100);
    if (longer || n->taken % 12 == 0) bml_mcmc_nested_get_result(s, &r);
}
static void nuts_forged(counts *n, void *sampler, unsigned char *state, size_t size) {
    bml_mcmc_nuts *s = sampler;
    bml_mcmc_verdict v;
    int status = bml_mcmc_nuts_load(s, state, size);
    *(status ? &n->refused : &n->taken) += 1;
    if (status) return;
    bml_mcmc_nuts_run(s, 2);
    bml_mcmc_nuts_verdict(&v, s);
}

/* Every word of the state, each forged value and each bit flipped in turn; nothing may be written or read outside. */
static void forge_all(const char *name, void *sampler, const unsigned char *state, size_t size, size_t stride,
                      void (*load)(counts *, void *, unsigned char *, size_t)) {
    unsigned char *copy = malloc(size);
    counts n = {0, 0};
    for (size_t at = 0; at < size / 8; at += at < 400 ? 1 : stride)
        for (int k = 0; k < FORGED + 2; k++) {
            uint64_t old;
            memcpy(copy, state, size);
            memcpy(&old, copy + 8 * at, 8);
            uint64_t value = k < FORGED ? forged[k] : old ^ (1ull << (k == FORGED ? 0 : 62));
            if (value == old) continue;
            forge(copy, size, at, value);
            load(&n, sampler, copy, size);
        }
    CHECK(n.refused > 0, "%s: %ld forged states refused, %ld harmless", name, n.refused, n.taken);
    free(copy);
}

static void test_states(void) {
    double zero[3] = {0, 0, 0};
    double one[3] = {1, 1, 1};
    double start[6] = {0.1, 0.2, 0.3, -0.4, 0.5, 0.6};
    bml_mcmc_config c = {.n_dim = 3, .n_walkers = 8, .log_prob_derived = normal_derived, .n_derived = 2};
    bml_mcmc_ensemble *e = NULL;
    if (bml_mcmc_ensemble_create(&e, &c, why) || bml_mcmc_start_ball(e, zero, one) || bml_mcmc_run(e, 12))
        CHECK(0, "ensemble: %s", why);
    size_t size = bml_mcmc_ensemble_save_size(e);
    unsigned char *state = malloc(size);
    bml_mcmc_ensemble_save(e, state, size);
    forge_all("ensemble", e, state, size, 7, ensemble_forged);
    CHECK(!bml_mcmc_ensemble_load(e, state, size), "ensemble: the true state is taken afterwards");
    free(state);
    bml_mcmc_ensemble_free(e);

    bml_mcmc_nested_config n = {.n_dim = 3,
                                .live_points = 20,
                                .log_likelihood = normal,
                                .transform = box,
                                .min_ess = 150,
                                .progress = nested_cancel};
    bml_mcmc_nested *s = NULL;
    if (bml_mcmc_nested_create(&s, &n, why)) CHECK(0, "nested: %s", why);
    while (bml_mcmc_nested_run(s, 0) == BML_MCMC_CANCELLED) {}
    size = bml_mcmc_nested_save_size(s);
    state = malloc(size);
    bml_mcmc_nested_save(s, state, size);
    forge_all("nested", s, state, size, 11 * (3 * 2 + 5) + 1, nested_forged);
    CHECK(!bml_mcmc_nested_load(s, state, size), "nested: the true state is taken afterwards: %s",
          bml_mcmc_nested_message(s));
    free(state);
    bml_mcmc_nested_free(s);

    for (int metric = 0; metric < 2; metric++)
        for (int draws = 0; draws < 10; draws += 9) {
            bml_mcmc_nuts_config u = {
                .n_dim = 3, .n_chains = 2, .log_prob = normal_gradient, .warmup = 30, .metric = metric, .max_depth = 6};
            bml_mcmc_nuts *nuts = NULL;
            if (bml_mcmc_nuts_create(&nuts, &u, why) || bml_mcmc_nuts_start(nuts, start) ||
                bml_mcmc_nuts_run(nuts, (size_t)draws))
                CHECK(0, "NUTS: %s", why);
            size = bml_mcmc_nuts_save_size(nuts);
            state = malloc(size);
            bml_mcmc_nuts_save(nuts, state, size);
            forge_all("NUTS", nuts, state, size, 3, nuts_forged);
            CHECK(!bml_mcmc_nuts_load(nuts, state, size), "NUTS: the true state is taken afterwards");
            free(state);
            bml_mcmc_nuts_free(nuts);
        }
}

/* ---- joint priors ---- */

/* Ordered uniforms 0 < x_1 < ... < x_n < 1: order statistics, x_(k) of n + 1 parameters, whose means are k/(n + 2); the
   last of them has bounds and is not joint. Nodes in fractions of the mass are exact for the first, linear between. */
static void test_joint(void) {
    for (int joint = 1; joint <= 4; joint++) {
        bml_mcmc_prior_param p[5] = {{0}};
        bml_mcmc_prior *prior = NULL;
        int n = joint + 1;
        double sum[5] = {0};
        double worst = 0;
        double round = 0;
        enum { DRAWS = 40000 };
        for (int i = 0; i < n; i++) {
            p[i].upper = 1;
            p[i].joint = i < joint;
            p[i].bounds = i ? above : NULL;
        }
        if (bml_mcmc_prior_create(&prior, p, n, why)) {
            CHECK(0, "joint: %s", why);
            return;
        }
        bml_mcmc_rng rng;
        bml_mcmc_rng_init(&rng, seed, (uint64_t)joint);
        clock_t begin = clock();
        for (int s = 0; s < DRAWS; s++) {
            double cube[5];
            double theta[5];
            for (int i = 0; i < n; i++)
                cube[i] = bml_mcmc_rng_uniform(&rng);
            bml_mcmc_prior_transform(prior, theta, cube);
            for (int i = 0; i < n; i++)
                sum[i] += theta[i] / DRAWS;
            if (s % 100) continue;
            double back[5];
            bml_mcmc_prior_inverse(prior, back, theta);
            for (int i = 0; i < n; i++)
                round = fmax(round, fabs(back[i] - cube[i]));
        }
        double micro = (double)(clock() - begin) / CLOCKS_PER_SEC / DRAWS * 1e6;
        for (int i = 0; i < n; i++) { /* Beta(i + 1, n - i): mean (i+1)/(n+1), its variance below 1/(4 (n + 2)) */
            double mean = (i + 1.0) / (n + 1);
            double sd = sqrt(mean * (1 - mean) / (n + 2) / DRAWS);
            worst = fmax(worst, (fabs(sum[i] - mean) - 1e-3) / sd); /* 1e-3: the documented error of a marginal */
        }
        CHECK(worst < 5, "%d joint parameters: order statistics within %.2f sd of their means", joint, worst);
        CHECK_LE(round, 1e-8, "cube -> parameters -> cube");
        CHECK(micro < 50, "a transform takes %.2f microseconds with its draws (5 are promised on a free machine)",
              micro);
        bml_mcmc_prior_free(prior);
    }
}

/* ---- ln Gamma ---- */

static void test_log_gamma(void) {
    double worst = 0;
    for (double x = 0.05; x < 300; x *= 1.07) {
        double want = lgamma(x);
        worst = fmax(worst, fabs(bml_mcmc__log_gamma(x) - want) / (1 + fabs(want)));
    }
    CHECK_LE(worst, 2e-14, "ln Gamma against the C library's");
    CHECK_NEAR(bml_mcmc_chi2_survival(3.841458820694124, 1), 0.05, 1e-14, "chi^2, 1 degree: 5 %");
    CHECK_NEAR(bml_mcmc_chi2_survival(18.307038053275146, 10), 0.05, 1e-14, "chi^2, 10 degrees: 5 %");
    CHECK_NEAR(bml_mcmc_chi2_survival(2, 2), exp(-1), 1e-14, "chi^2, 2 degrees: exp(-x/2)");
}

/* ---- NaN: an error after which the run goes on, or -infinity that is counted ---- */

static void nan_strip(double *lp, const double *x, int n, int d, void *user) {
    normal(lp, x, n, d, user);
    for (int i = 0; i < n; i++)
        if (x[i * d] > 0.9 && x[i * d] < 0.92) lp[i] = not_a_number;
}
static void nan_strip_gradient(double *lp, double *g, const double *x, int n, int d, void *user) {
    normal_gradient(lp, g, x, n, d, user);
    for (int i = 0; i < n; i++)
        if (x[i * d] > 0.9 && x[i * d] < 0.92) g[i * d] = not_a_number;
}
static void infinite_strip(double *lp, const double *x, int n, int d, void *user) {
    nan_strip(lp, x, n, d, user);
    for (int i = 0; i < n; i++)
        if (lp[i] != lp[i]) lp[i] = infinite;
}

static void test_nan(void) {
    double zero[3] = {0, 0, 0};
    double near_zero[3] = {0.1, 0.1, 0.1};
    double start[12] = {0.1, 0.2, 0.3, -0.4, 0.5, 0.6, 0.3, 0.1, 0.4, 0.2, -0.3, 0.1};
    for (int kind = 0; kind < 2; kind++) {
        bml_mcmc_config c = {.n_dim = 3, .n_walkers = 32, .seed = seed, .log_prob = kind ? infinite_strip : nan_strip};
        bml_mcmc_ensemble *e;
        int errors = 0;
        int wanted = kind ? BML_MCMC_INFINITE : BML_MCMC_NAN;
        if (bml_mcmc_ensemble_create(&e, &c, why) || bml_mcmc_start_ball(e, zero, near_zero)) CHECK(0, "NaN: %s", why);
        while (bml_mcmc_ensemble_get_info(e).step < 400 && errors < 1000) {
            int status = bml_mcmc_run(e, 400 - (size_t)bml_mcmc_ensemble_get_info(e).step);
            if (status && status != wanted) CHECK(0, "NaN: %s", bml_mcmc_ensemble_message(e));
            errors += status == wanted;
        }
        CHECK(errors > 3 && errors < 1000, "ensemble: %d errors, each left behind by the next call", errors);
        CHECK(bml_mcmc_ensemble_get_info(e).nans >= (uint64_t)errors, "and counted");
        bml_mcmc_ensemble_free(e);
        if (kind) continue;
        c.nan_policy = BML_MCMC_NAN_REJECTED;
        bml_mcmc_verdict v;
        bml_mcmc_ensemble_create(&e, &c, why);
        int status = bml_mcmc_start_ball(e, zero, near_zero);
        if (!status) status = bml_mcmc_run(e, 400);
        bml_mcmc_ensemble_verdict(&v, e, 100);
        int said = 0;
        for (int i = 0; i < v.n_reasons; i++)
            said |= v.reason[i].kind == BML_MCMC_REASON_NAN && !v.reason[i].refuses;
        CHECK(!status && bml_mcmc_ensemble_get_info(e).nans > 3 && said,
              "ensemble: %d NaN taken for -infinity, and said", (int)bml_mcmc_ensemble_get_info(e).nans);
        bml_mcmc_ensemble_free(e);
    }
    for (int policy = 0; policy < 2; policy++) {
        bml_mcmc_nested_config n = {.n_dim = 3,
                                    .live_points = 100,
                                    .seed = seed,
                                    .log_likelihood = nan_strip,
                                    .transform = box,
                                    .nan_policy = policy};
        bml_mcmc_nested *s;
        bml_mcmc_nested_result r = {0};
        int errors = 0;
        int status = bml_mcmc_nested_create(&s, &n, why);
        if (!status) do {
                status = bml_mcmc_nested_run(s, 0);
                errors += status == BML_MCMC_NAN;
            } while (status == BML_MCMC_NAN && errors < 1000);
        if (!status) status = bml_mcmc_nested_get_result(s, &r);
        double truth = 1.5 * log(2 * 3.141592653589793) - 3 * log(10.0); /* the strip has 0.5 % of it */
        CHECK(!status && (policy ? !errors : errors > 3) && r.nans > 3, "nested: %d errors, %d NaN", errors,
              (int)r.nans);
        CHECK_NEAR(r.log_z, truth, 5 * r.log_z_error + 0.02, "and ln Z");
        bml_mcmc_nested_free(s);

        bml_mcmc_nuts_config u = {
            .n_dim = 3, .seed = seed, .log_prob = nan_strip_gradient, .warmup = 100, .nan_policy = policy};
        bml_mcmc_nuts *nuts;
        status = bml_mcmc_nuts_create(&nuts, &u, why);
        if (!status) status = bml_mcmc_nuts_start(nuts, start);
        errors = 0;
        if (!status) do {
                size_t have = bml_mcmc_nuts_chain(nuts).n_steps;
                status = bml_mcmc_nuts_run(nuts, 200 - have);
                errors += status == BML_MCMC_NAN;
            } while (status == BML_MCMC_NAN && errors < 1000);
        CHECK(!status && (policy ? !errors : errors > 3) && bml_mcmc_nuts_get_info(nuts).nans > 3,
              "NUTS: %d errors, %d NaN: %s", errors, (int)bml_mcmc_nuts_get_info(nuts).nans,
              bml_mcmc_nuts_message(nuts));
        bml_mcmc_nuts_free(nuts);
    }
}

/* ---- derived quantities ---- */

static void test_derived(void) {
    double zero[3] = {0, 0, 0};
    double one[3] = {1, 1, 1};
    bml_mcmc_config c = {
        .n_dim = 3, .n_walkers = 32, .seed = seed, .log_prob_derived = normal_derived, .n_derived = 2, .thin = 2};
    bml_mcmc_config plain = {.n_dim = 3, .n_walkers = 32, .seed = seed, .log_prob = normal, .thin = 2};
    bml_mcmc_ensemble *e;
    bml_mcmc_ensemble *o;
    bml_mcmc_summary s[2];
    if (bml_mcmc_ensemble_create(&e, &c, why) || bml_mcmc_start_ball(e, zero, one) || bml_mcmc_run(e, 4000))
        CHECK(0, "derived: %s", why);
    if (bml_mcmc_ensemble_create(&o, &plain, why) || bml_mcmc_start_ball(o, zero, one) || bml_mcmc_run(o, 4000))
        CHECK(0, "plain: %s", why);
    bml_mcmc_chain chain = bml_mcmc_ensemble_chain(e);
    bml_mcmc_chain derived = bml_mcmc_ensemble_derived(e);
    size_t rows = chain.n_steps * 32;
    int same = !memcmp(chain.theta, bml_mcmc_ensemble_chain(o).theta, rows * 3 * sizeof(double));
    int belongs = derived.n_dim == 2 && derived.n_steps == chain.n_steps;
    for (size_t i = 0; i < rows && belongs; i++)
        belongs = derived.theta[2 * i] == chain.theta[3 * i] * chain.theta[3 * i];
    CHECK(same && belongs, "derived quantities go along with %d steps, and the chain is the same without them",
          (int)chain.n_steps);
    int status = bml_mcmc_summarize(s, bml_mcmc_chain_drop(derived, 100));
    CHECK(!status && fabs(s[0].mean - 1) < 5 * s[0].sd / sqrt(s[0].ess), "mean of x^2: %.3f (1)", s[0].mean);
    CHECK_NEAR(s[1].sd, sqrt(3.0), 5 * sqrt(1.5 / s[1].ess), "sd of the sum");
    bml_mcmc_ensemble_free(e);
    bml_mcmc_ensemble_free(o);
}

/* ---- seven samplers in seven threads ---- */

static void test_threads(void) {
#ifdef _OPENMP
    int bad = 0;
    double z[7];
#pragma omp parallel for num_threads(7) reduction(+ : bad) schedule(static, 1)
    for (int i = 0; i < 7; i++) {
        bml_mcmc_nested_config n = {
            .n_dim = 2, .live_points = 50, .seed = 5, .log_likelihood = normal, .transform = box};
        bml_mcmc_nested *s = NULL;
        bml_mcmc_nested_result r = {0};
        int status = bml_mcmc_nested_create(&s, &n, NULL);
        if (!status) status = bml_mcmc_nested_run(s, 0);
        if (!status) status = bml_mcmc_nested_get_result(s, &r);
        bad += status != 0;
        z[i] = r.log_z;
        bml_mcmc_nested_free(s);
        bad += !(bml_mcmc_chi2_survival(3, 4 + i) > 0);
    }
    for (int i = 1; i < 7; i++)
        bad += z[i] != z[0];
    CHECK(!bad, "seven nested samplers in seven threads: the same ln Z, %.4f", z[0]);
    allocations = living = 0; /* counted without a lock */
#else
    SKIP("seven threads: compiled without OpenMP");
#endif
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
    test_refusals();
    const int longer = getenv("BML_CHECK_LONG") != NULL;
    no_memory(ensemble_workload, "ensemble", 1);
    no_memory(nested_workload, "nested", 1);
    no_memory(nuts_workload, "NUTS", 1);
    no_memory(unguided_workload, "importance", longer ? 1 : 23);
    no_memory(guided_workload, "importance with a guide", longer ? 1 : 37);
    test_states();
    test_joint();
    test_log_gamma();
    test_nan();
    test_derived();
    test_threads();
    return check_done();
}
