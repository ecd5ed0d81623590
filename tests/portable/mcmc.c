/* mcmc.c: random numbers, a chain and a nested run, on any machine; see ssc.c for the digits. */
#include <stdio.h>
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

/* A normal of standard deviations 0.1 and 0.3, correlated. */
static void log_prob(double *lp, const double *theta, int n, int n_dim, void *user) {
    (void)user;
    for (int i = 0; i < n; i++) {
        double a = theta[i * n_dim] / 0.1;
        double b = (theta[i * n_dim + 1] - theta[i * n_dim]) / 0.3;
        lp[i] = -0.5 * (a * a + b * b);
    }
}

static int chain(char *why) {
    bml_mcmc_config config = {0};
    config.n_dim = 2;
    config.n_walkers = 16;
    config.log_prob = log_prob;
    config.seed = 5;
    bml_mcmc_move stretch = {BML_MCMC_STRETCH, 1, 0, 0}; /* a fitted mixture would enlarge the last digits of exp() */
    config.moves = &stretch;
    config.n_moves = 1;
    double center[2] = {0, 0};
    double radius[2] = {0.1, 0.1};
    bml_mcmc_summary s[2];
    bml_mcmc_ensemble *e;
    int status = bml_mcmc_ensemble_create(&e, &config, why);
    if (status) return status;
    status = bml_mcmc_start_ball(e, center, radius);
    if (!status) status = bml_mcmc_run(e, 200);
    if (!status) bml_mcmc_ensemble_summary(e, s, 50); /* short of convergence, and it may say so */
    for (int k = 0; k < 2 && !status; k++)
        printf("chain %d: median %.8f sd %.8f\n", k, s[k].median, s[k].sd);
    bml_mcmc_ensemble_free(e);
    return status;
}

static int nested(char *why) {
    bml_mcmc_prior_param row[2] = {{0}, {0}};
    for (int k = 0; k < 2; k++) {
        row[k].lower = -2;
        row[k].upper = 2;
    }
    bml_mcmc_prior *prior;
    int status = bml_mcmc_prior_create(&prior, row, 2, why);
    if (status) return status;
    bml_mcmc_nested_config config = {0};
    config.n_dim = 2;
    config.live_points = 50;
    config.log_likelihood = log_prob;
    config.prior = prior;
    config.seed = 5;
    bml_mcmc_nested *s;
    status = bml_mcmc_nested_create(&s, &config, why);
    if (!status) {
        bml_mcmc_nested_result r;
        status = bml_mcmc_nested_run(s, 0);
        if (!status) status = bml_mcmc_nested_get_result(s, &r);
        if (!status) printf("nested: ln Z %.8f, %ld points\n", r.log_z, (long)r.n_points);
        bml_mcmc_nested_free(s);
    }
    bml_mcmc_prior_free(prior);
    return status;
}

int main(void) {
    char why[BML_MCMC_MESSAGE] = "";
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, 1, 2);
    printf("u32 %lu", (unsigned long)bml_mcmc_rng_u32(&rng));
    printf(" uniform %.16f", bml_mcmc_rng_uniform(&rng));
    printf(" normal %.12f\n", bml_mcmc_rng_normal(&rng));
    int status = chain(why);
    if (!status) status = nested(why);
    if (status) printf("%s: %s\n", bml_mcmc_strerror(status), why);
    return status != 0;
}
