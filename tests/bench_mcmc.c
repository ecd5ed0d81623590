/* bench_mcmc.c: what bml_mcmc.h costs. One line each: name value unit. Medians of five repeats. */
#include "bench.h"
#include <stdio.h>
#include <string.h>
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

enum { REPEATS = 5, DIMS = 8 };

/* As little as a callback can do and still be a density: what is left is the sampler. */
static void normal(double *lp, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++) {
        double s = 0;
        for (int k = 0; k < d; k++)
            s += x[i * d + k] * x[i * d + k];
        lp[i] = -0.5 * s;
    }
}

/* Microseconds per log-probability of n_steps steps with these moves. */
static double overhead_us(const bml_mcmc_move *moves, int n_moves, int n_walkers, size_t n_steps) {
    bml_mcmc_config c = {
        .n_dim = DIMS, .n_walkers = n_walkers, .seed = 1, .log_prob = normal, .moves = moves, .n_moves = n_moves};
    double zero[DIMS] = {0};
    double one[DIMS];
    double us[REPEATS];
    for (int k = 0; k < DIMS; k++)
        one[k] = 1;
    bml_mcmc_ensemble *e;
    if (bml_mcmc_ensemble_create(&e, &c, NULL) || bml_mcmc_start_ball(e, zero, one)) exit(1);
    for (int r = 0; r < REPEATS; r++) {
        bml_mcmc_ensemble_clear(e);
        us[r] = bench_seconds();
        if (bml_mcmc_run(e, n_steps)) exit(1);
        us[r] = (bench_seconds() - us[r]) * 1e6 / ((double)n_steps * n_walkers);
    }
    bml_mcmc_ensemble_free(e);
    return bench_median(us, REPEATS);
}

static void normal_slope(double *lp, double *gradient, const double *x, int n, int d, void *user) {
    normal(lp, x, n, d, user);
    for (int k = 0; k < n * d; k++)
        gradient[k] = -x[k];
}

/* Microseconds per likelihood of a nested run, and per gradient of NUTS, with nothing to work out in them. */
static double nested_us(int method) {
    bml_mcmc_prior_param row[DIMS];
    bml_mcmc_nested_config c = {
        .n_dim = DIMS, .live_points = 400, .seed = 1, .log_likelihood = normal, .method = method};
    double us[REPEATS];
    memset(row, 0, sizeof row);
    for (int k = 0; k < DIMS; k++) {
        row[k].lower = -6;
        row[k].upper = 6;
    }
    bml_mcmc_prior *prior;
    if (bml_mcmc_prior_create(&prior, row, DIMS, NULL)) exit(1);
    c.prior = prior;
    bml_mcmc_nested_result r;
    for (int i = 0; i < REPEATS; i++) {
        us[i] = bench_seconds();
        bml_mcmc_nested *s;
        if (bml_mcmc_nested_create(&s, &c, NULL) || bml_mcmc_nested_run(s, 0) || bml_mcmc_nested_get_result(s, &r))
            exit(1);
        us[i] = (bench_seconds() - us[i]) * 1e6 / (double)r.evaluations;
        bml_mcmc_nested_free(s);
    }
    bml_mcmc_prior_free((bml_mcmc_prior *)(size_t)c.prior);
    return bench_median(us, REPEATS);
}

static double nuts_us(void) {
    bml_mcmc_nuts_config c = {.n_dim = DIMS, .n_chains = 4, .seed = 1, .log_prob = normal_slope};
    double start[4 * DIMS] = {0};
    double us[REPEATS];
    bml_mcmc_nuts *s;
    if (bml_mcmc_nuts_create(&s, &c, NULL) || bml_mcmc_nuts_start(s, start)) exit(1);
    for (int i = 0; i < REPEATS; i++) {
        const double before = (double)bml_mcmc_nuts_get_info(s).gradients;
        us[i] = bench_seconds();
        if (bml_mcmc_nuts_run(s, 2000)) exit(1);
        us[i] = (bench_seconds() - us[i]) * 1e6 / ((double)bml_mcmc_nuts_get_info(s).gradients - before);
    }
    bml_mcmc_nuts_free(s);
    return bench_median(us, REPEATS);
}

/* Seconds for the whole summary of a chain [20000][200][8]. */
static double summary_s(void) {
    size_t n = (size_t)20000 * 200 * DIMS;
    double *x = malloc(n * sizeof *x);
    bml_mcmc_summary s[DIMS];
    bml_mcmc_chain c = {x, NULL, 20000, 200, DIMS};
    if (!x) exit(1);
    bml_mcmc_rng r;
    bml_mcmc_rng_init(&r, 1, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = (i < 1600 ? 0 : 0.95 * x[i - 1600]) + bml_mcmc_rng_uniform(&r) - 0.5; /* AR(1), tau 39 */
    double t = bench_seconds();
    if (bml_mcmc_summarize(s, c)) exit(1);
    t = bench_seconds() - t;
    free(x);
    return t;
}

/* A posterior of the shape that a blazar's SED leaves: size, field, electron energies, compactness, index, Doppler factor and
   scatter, tied by two peaks, a luminosity and a slope with curved relations, gamma_min on a flat shelf, hard limits. */
static void curved(double *lp, const double *x, int n, int d, void *user) {
    static const double low[DIMS] = {14, -2, 0.1, 2.1, -5, 1.5, 0, -10};
    static const double high[DIMS] = {17, 2, 4, 8, -1, 3, 3, 1};
    (void)user;
    for (int i = 0; i < n; i++, x += d) {
        double R = x[0];
        double B = x[1];
        double g1 = x[2];
        double g2 = x[3];
        double l = x[4];
        double p = x[5];
        double D = x[6];
        double f = exp(x[7]);
        double v = 0.0025 + f * f;
        double r[5];
        int inside = g2 >= g1 + 2;
        for (int k = 0; k < d; k++)
            inside &= x[k] >= low[k] && x[k] <= high[k];
        r[0] = (B + 2 * g2 + D + 0.3 * B * B - 11.5) / 0.05;
        r[1] = (l + R + 4 * D - 17) / 0.03;
        r[2] = (2 * B + R - l - 17.5 + 0.5 * (D - 1) * (D - 1) + 0.3 * (g2 - 5) * (g2 - 5)) / 0.05;
        r[3] = (p + 0.1 * B + 0.2 * (D - 1) * (D - 1) - 2.2) / 0.05;
        r[4] = g1 > 2.5 ? (g1 - 2.5) / 0.3 : 0;
        lp[i] = -0.5 * 31 * (log(v) + 0.0036 / v);
        for (int k = 0; k < 5; k++)
            lp[i] -= 0.5 * r[k] * r[k];
        if (!inside) lp[i] = -(double)INFINITY;
    }
}

/* Longest tau of the eight parameters: evaluations for an independent sample. 1.2 million evaluations, a sixth burnt. */
static double curved_tau(const bml_mcmc_move *moves, int n_moves, int n_walkers) {
    bml_mcmc_config c = {
        .n_dim = DIMS, .n_walkers = n_walkers, .seed = 7, .log_prob = curved, .moves = moves, .n_moves = n_moves};
    double center[DIMS] = {15.5, 0, 1.5, 5, -3, 2.2, 1, -3};
    double radius[DIMS] = {1, 1, 1, 1, 1, 0.5, 0.8, 2};
    double worst = 0;
    size_t n_steps = 1200000 / (size_t)n_walkers;
    bml_mcmc_summary s[DIMS];
    bml_mcmc_ensemble *e;
    if (bml_mcmc_ensemble_create(&e, &c, NULL) || bml_mcmc_start_ball(e, center, radius) || bml_mcmc_run(e, n_steps))
        exit(1);
    bml_mcmc_ensemble_summary(e, s, n_steps / 6);
    for (int k = 0; k < DIMS; k++)
        worst = s[k].tau > worst ? s[k].tau : worst;
    bml_mcmc_ensemble_free(e);
    return worst;
}

int main(void) {
    static const bml_mcmc_move mixed[2] = {{BML_MCMC_MIXTURE, 0.8, 0, 0}, {BML_MCMC_DE, 0.2, 0, 0}};
    static const int walkers[2] = {100, 400};
    static const bml_mcmc_move each[BML_MCMC_N_MOVES] = {{BML_MCMC_STRETCH, 1, 0, 0}, {BML_MCMC_WALK, 1, 0, 0},
                                                         {BML_MCMC_DE, 1, 0, 0},      {BML_MCMC_SNOOKER, 1, 0, 0},
                                                         {BML_MCMC_KDE, 1, 0, 0},     {BML_MCMC_MIXTURE, 1, 0, 0}};
    double calibration = bench_expf_ns();
    double us = overhead_us(NULL, 0, 48, 20000);
    printf("expf %.3f ns\n", calibration);
    printf("ensemble_overhead_48x8 %.4f us\n", us);
    printf("ensemble_overhead_48x8_in_expf %.1f expf\n", us * 1e3 / calibration);
    for (int m = 0; m < BML_MCMC_N_MOVES; m++)
        printf("overhead_%s_48x8 %.4f us\n", bml_mcmc_move_name(each[m].kind), overhead_us(&each[m], 1, 48, 2000));
    printf("overhead_KDE_400x8 %.4f us\n", overhead_us(&each[BML_MCMC_KDE], 1, 400, 100));
    printf("overhead_mixture_400x8 %.4f us\n", overhead_us(&each[BML_MCMC_MIXTURE], 1, 400, 100));
    printf("overhead_nested_region_400x8 %.4f us\n", nested_us(BML_MCMC_NESTED_REGION));
    printf("overhead_nested_slice_400x8 %.4f us\n", nested_us(BML_MCMC_NESTED_SLICE));
    printf("overhead_nuts_4x8 %.4f us\n", nuts_us());
    for (int i = 0; i < 2; i++) {
        printf("tau_curved_default_%d %.0f evaluations/sample\n", walkers[i], curved_tau(NULL, 0, walkers[i]));
        printf("tau_curved_KDE_%d %.0f evaluations/sample\n", walkers[i],
               curved_tau(&each[BML_MCMC_KDE], 1, walkers[i]));
        printf("tau_curved_mixture_%d %.0f evaluations/sample\n", walkers[i],
               curved_tau(&each[BML_MCMC_MIXTURE], 1, walkers[i]));
        printf("tau_curved_mixture80_DE20_%d %.0f evaluations/sample\n", walkers[i], curved_tau(mixed, 2, walkers[i]));
    }
    printf("summary_20000x200x8 %.3f s\n", summary_s());
    return 0;
}
