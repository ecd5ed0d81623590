/* hello_nested.c: are six points a line or a constant? The ratio of the two evidences, by nested sampling, says.
   In a folder with this file and bml_mcmc.h:
       cc -std=c99 -O2 hello_nested.c -o hello_nested -lm && ./hello_nested */
#include <math.h>
#include <stdio.h>
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

static const double x[6] = {0, 1, 2, 3, 4, 5};
static const double y[6] = {1.1, 0.9, 1.4, 1.3, 1.8, 1.6};
static const double sigma = 0.2; /* the error of each y */

/* ln L of n parameter sets at once: y = a + b x, or y = a in one dimension. */
static void log_likelihood(double *l, const double *theta, int n, int n_dim, void *user) {
    (void)user;
    for (int i = 0; i < n; i++) {
        const double a = theta[i * n_dim];
        const double b = n_dim > 1 ? theta[i * n_dim + 1] : 0;
        l[i] = -6 * log(sigma * 2.5066282746310002); /* sqrt(2 pi) */
        for (int k = 0; k < 6; k++) {
            double r = (y[k] - a - b * x[k]) / sigma;
            l[i] -= 0.5 * r * r;
        }
    }
}

int main(void) {
    bml_mcmc_prior_param row[2] = {
        {.lower = 0, .upper = 3},  /* a */
        {.lower = -1, .upper = 1}, /* b */
    };
    double log_z[2] = {0, 0};
    int status = 0;
    for (int d = 1; d <= 2 && !status; d++) {
        bml_mcmc_nested_config config = {
            .n_dim = d,
            .log_likelihood = log_likelihood,
        };
        bml_mcmc_nested *s = NULL;
        bml_mcmc_prior *prior;
        bml_mcmc_nested_result r;
        bml_mcmc_verdict v;
        char why[BML_MCMC_MESSAGE];
        status = bml_mcmc_prior_create(&prior, row, d, why);
        config.prior = prior;
        if (!status) status = bml_mcmc_nested_create(&s, &config, why);
        if (!status) status = bml_mcmc_nested_run(s, 0);
        if (!status) status = bml_mcmc_nested_get_result(s, &r);
        if (!status) status = bml_mcmc_nested_verdict(&v, s);
        if (status) {
            fprintf(stderr, "%s: %s\n", bml_mcmc_strerror(status), s ? bml_mcmc_nested_message(s) : why);
        } else {
            log_z[d - 1] = r.log_z;
            printf("%s: ln Z = %.2f +- %.2f", d > 1 ? "line    " : "constant", r.log_z, r.log_z_error);
            printf("; by fresh draws %.3f +- %.3f\n", v.check_log_z, v.check_log_z_error);
        }
        bml_mcmc_nested_free(s);
        bml_mcmc_prior_free(prior);
    }
    if (!status) printf("ln of the Bayes factor, line to constant: %.2f\n", log_z[1] - log_z[0]);
    return status != 0;
}
