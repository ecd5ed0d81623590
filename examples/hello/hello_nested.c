/* hello_nested.c: the smallest complete use of nested sampling in bml_mcmc.h. Are six points a line or a constant? The ratio
   of the two evidences says.        cc -std=c99 -O2 -I. examples/hello/hello_nested.c -o hello_nested -lm */
#include <math.h>
#include <stdio.h>
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

static const double x[6] = {0, 1, 2, 3, 4, 5}, y[6] = {1.1, 0.9, 1.4, 1.3, 1.8, 1.6}, sigma = 0.2;

/* ln L of n parameter sets at once: y = a + b x, or y = a in one dimension. */
static void log_likelihood(double *l, const double *theta, int n, int n_dim, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, theta += n_dim) {
        l[i] = -6 * log(sigma * 2.5066282746310002); /* sqrt(2 pi) */
        for (int k = 0; k < 6; k++) {
            double r = (y[k] - theta[0] - (n_dim > 1 ? theta[1] * x[k] : 0)) / sigma;
            l[i] -= 0.5 * r * r;
        }
    }
}

int main(void) {
    bml_mcmc_prior_param row[2] = {{.lower = 0, .upper = 3}, {.lower = -1, .upper = 1}};
    double log_z[2] = {0, 0};
    for (int d = 1; d <= 2; d++) {
        bml_mcmc_nested_config config = {.n_dim = d, .log_likelihood = log_likelihood};
        bml_mcmc_nested *s = NULL;
        bml_mcmc_prior *prior = NULL;
        char why[BML_MCMC_MESSAGE];
        int status = bml_mcmc_prior_create(&prior, row, d, why);
        config.prior = prior;
        if (!status) status = bml_mcmc_nested_create(&s, &config, why);
        if (!status) status = bml_mcmc_nested_run(s, 0);
        bml_mcmc_nested_result r;
        bml_mcmc_verdict v;
        if (!status) status = bml_mcmc_nested_get_result(s, &r);
        if (!status) status = bml_mcmc_nested_verdict(&v, s);
        /* a longer program would free s and the prior here */
        if (status) {
            fprintf(stderr, "%s: %s\n", bml_mcmc_strerror(status), s ? bml_mcmc_nested_message(s) : why);
            return 1;
        }
        log_z[d - 1] = r.log_z;
        printf("%s: ln Z = %.2f +- %.2f; by fresh draws %.3f +- %.3f\n", d > 1 ? "line    " : "constant", r.log_z,
               r.log_z_error, v.check_log_z, v.check_log_z_error);
    }
    printf("ln of the Bayes factor, line to constant: %.2f\n", log_z[1] - log_z[0]);
    return 0;
}
