/* tiny_fit.c: a one-zone synchrotron self-Compton model fitted to a blazar's SED: three columns, frequency [Hz], nu F_nu and
   its error [erg cm^-2 s^-1]. In a folder with this file, bml_ssc.h and bml_mcmc.h (without OpenMP leave -fopenmp out):
       cc -std=c99 -O3 -fno-math-errno -fopenmp tiny_fit.c -o tiny_fit -lm
       ./tiny_fit sed.txt 0.557 20000      redshift, and at most so many steps: a thousand take a core a minute */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

enum { N_DIM = 6, POINTS = 500, WALKERS = 192 };
static const char *const name[N_DIM] = {"lg R [cm]", "lg B [G]", "lg gamma_max", "lg L_e [erg/s]", "p", "lg delta"};
static const double lower[N_DIM] = {15, -2, 4, 40, 1, 0.7};   /* the prior is flat from here */
static const double upper[N_DIM] = {17.5, 1, 7, 45, 3, 1.7};  /* to here; the walkers start */
static const double guess[N_DIM] = {16, -1, 5.5, 43, 2, 1.3}; /* near here */
static const double around[N_DIM] = {0.5, 0.5, 0.5, 0.5, 0.5, 0.2};
static bml_ssc *tables;
static bml_ssc_point point[POINTS];
static bml_ssc_observer observer[WALKERS];
static double nu[POINTS];
static int n_points;

/* ln (prior times likelihood) of n parameter sets theta[n][N_DIM], solved over all cores; user: the prior. */
static void log_prob(double *lp, const double *theta, int n, int n_dim, void *user) {
    static bml_ssc_source source[WALKERS];
    static double model[WALKERS * POINTS];
    for (int i = 0; i < n; i++) {
        lp[i] = bml_mcmc_prior_log_density(user, theta + i * n_dim);
        const double *t = lp[i] > -HUGE_VAL ? theta + i * n_dim : guess; /* outside: solve something */
        source[i] = (bml_ssc_source){.R = pow(10, t[0]), .B = pow(10, t[1]), .gamma_min = 100, .p = t[4]};
        source[i].gamma_max = pow(10, t[2]);
        source[i].L_e = pow(10, t[3]);
        observer[i].delta = pow(10, t[5]);
    }
    bml_ssc_batch_job job = {
        .out = model, .sources = source, .observers = observer, .grid = nu, .n = n_points, .n_sources = n};
    bml_ssc_batch(&job, tables); /* a source that fails gives NaN, which the sampler takes for a rejection */
    for (int i = 0; i < n; i++) {
        double log_l;
        bml_ssc_log_likelihood(&log_l, model + i * n_points, point, n_points, -HUGE_VAL);
        lp[i] += log_l;
    }
}

int main(int argc, char **argv) {
    FILE *f = argc == 4 ? fopen(argv[1], "r") : NULL;
    bml_ssc_point *p = point;
    for (double error; f && n_points < POINTS && fscanf(f, "%lf %lf %lf", &p->nu, &p->nuFnu, &error) == 3; p++) {
        bml_ssc_point_errors(p, error, error);
        nu[n_points++] = p->nu;
    }
    if (!f || !feof(f)) return fprintf(stderr, "usage: tiny_fit THREE_COLUMNS REDSHIFT STEPS\n"), 1;
    for (int i = 0; i < WALKERS; i++)
        observer[i].redshift = atof(argv[2]);
    bml_mcmc_prior_param flat[N_DIM] = {{0}};
    for (int k = 0; k < N_DIM; k++)
        flat[k] = (bml_mcmc_prior_param){.lower = lower[k], .upper = upper[k]};
    bml_mcmc_config config = {.n_dim = N_DIM, .n_walkers = WALKERS, .log_prob = log_prob, .names = name};
    config.nan_policy = BML_MCMC_NAN_REJECTED;
    bml_mcmc_goal goal = {.ess = 400, .steps = atof(argv[3])};
    bml_mcmc_prior *prior = NULL;
    bml_mcmc_ensemble *e = NULL;
    bml_mcmc_verdict v = {0};
    bml_mcmc_summary s[N_DIM];
    char why[512];
    int status = bml_ssc_create(&tables, NULL, why);
    if (!status) status = bml_mcmc_prior_create(&prior, flat, N_DIM, why);
    config.prior = prior;
    config.user = prior;
    if (!status) status = bml_mcmc_ensemble_create(&e, &config, why);
    if (!status) status = bml_mcmc_start_ball(e, guess, around);
    if (!status) status = bml_mcmc_run_until(e, &v, &goal);
    if (status && status != BML_MCMC_NOT_CONVERGED)
        return fprintf(stderr, "%s %s\n", bml_mcmc_strerror(status), e ? bml_mcmc_ensemble_message(e) : why), 1;
    bml_mcmc_ensemble_summary(e, s, v.burn);
    for (int k = 0; k < N_DIM; k++)
        printf("%-15s %8.3f -%.3f +%.3f\n", name[k], s[k].median, s[k].minus, s[k].plus);
    for (int k = 0; k < v.n_reasons; k++)
        printf("%s\n", v.reason[k].text);
    printf("verdict: %s\n", bml_mcmc_strerror(status));
    return status ? 2 : 0; /* 2: printed, and not to be trusted */
}
