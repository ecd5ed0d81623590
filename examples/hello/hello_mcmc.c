/* hello_mcmc.c: a straight line y = a + b x through six points with known errors: the posterior of a and b.
   In a folder with this file and bml_mcmc.h:
       cc -std=c99 -O2 hello_mcmc.c -o hello_mcmc -lm && ./hello_mcmc */
#include <stdio.h>
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

static const double x[6] = {0, 1, 2, 3, 4, 5};
static const double y[6] = {1.1, 2.9, 5.2, 6.8, 9.1, 11.0};
static const double sigma = 0.2; /* the error of each y */

/* The log-probability of n parameter sets theta[n][2] at once: here a flat prior and -chi^2/2. */
static void log_prob(double *lp, const double *theta, int n, int n_dim, void *user) {
    (void)user;
    for (int i = 0; i < n; i++) {
        const double a = theta[i * n_dim];
        const double b = theta[i * n_dim + 1];
        lp[i] = 0;
        for (int k = 0; k < 6; k++) {
            double r = (y[k] - a - b * x[k]) / sigma;
            lp[i] -= 0.5 * r * r;
        }
    }
}

int main(void) {
    bml_mcmc_config config = {
        .n_dim = 2,
        .n_walkers = 32,
        .log_prob = log_prob,
    };
    double center[2] = {1, 2}; /* the walkers start here, so far apart */
    double radius[2] = {0.1, 0.1};
    bml_mcmc_verdict v;
    bml_mcmc_summary s[2];
    bml_mcmc_ensemble *e;
    char why[BML_MCMC_MESSAGE];
    int status = bml_mcmc_ensemble_create(&e, &config, why);
    if (!status) status = bml_mcmc_start_ball(e, center, radius);
    if (!status) status = bml_mcmc_run_until(e, &v, NULL); /* 1000 effective samples; burn-in found */
    if (!status) status = bml_mcmc_ensemble_summary(e, s, v.burn);
    for (int k = 0; k < 2 && !status; k++) {
        printf("%c = %.3f", "ab"[k], s[k].median);
        printf(" -%.3f +%.3f", s[k].minus, s[k].plus);
        printf("   (tau %.1f steps, %.0f effective samples", s[k].tau, s[k].ess_bulk);
        printf(", R-hat %.3f)\n", s[k].rhat);
    }
    if (!status) { /* and is a line good enough? */
        double median[2] = {s[0].median, s[1].median};
        double lp;
        log_prob(&lp, median, 1, 2, NULL);
        double chi2 = -2 * lp;
        double p = bml_mcmc_chi2_survival(chi2, 4);
        printf("chi^2 = %.2f for 4 degrees of freedom, p = %.2f\n", chi2, p);
    }
    if (status) fprintf(stderr, "hello_mcmc: %s\n", bml_mcmc_strerror(status));
    if (status) fprintf(stderr, "%s\n", e ? bml_mcmc_ensemble_message(e) : why);
    bml_mcmc_ensemble_free(e);
    return status != 0;
}
