/* tiny_fit.c: a one-zone synchrotron self-Compton model fitted to a blazar's SED: three columns, frequency [Hz], nu F_nu and
   its error [erg cm^-2 s^-1]. In a folder with this file, bml_ssc.h and bml_mcmc.h (without OpenMP leave -fopenmp out):
       cc -std=c99 -O3 -fno-math-errno -fopenmp tiny_fit.c -o tiny_fit -lm
       ./tiny_fit sed.txt 0.557      its redshift; some 25,000 spectra, 15 seconds of one core
   R is held: an SED alone does not tell it from B and delta. If you know a variability time t, take R = c delta t/(1 + z). */
#include <math.h>
#include <stdio.h>
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"
enum { N_DIM = 5, POINTS = 500, BATCH = 500 };
static const char *const name[N_DIM] = {"lg B [G]", "lg gamma_max", "lg L_e [erg/s]", "p", "lg delta"};
#define FLAT(a, b) \
    { .lower = a, .upper = b }
static const bml_mcmc_prior_param flat[N_DIM] = {FLAT(-2, 1), FLAT(4, 7), FLAT(40, 45), FLAT(1.5, 2.5), FLAT(0.7, 1.7)};
static bml_ssc *tables;
static bml_ssc_point point[POINTS];
static bml_ssc_observer observer[BATCH];
static double nu[POINTS];
static int n_points;

/* ln likelihood of n <= BATCH parameter sets theta[n][N_DIM], solved over all cores. */
static void log_likelihood(double *ln_l, const double *theta, int n, int n_dim, void *user) {
    static bml_ssc_source source[BATCH];
    static double model[BATCH * POINTS];
    bml_ssc_batch_job job = {
        .out = model, .sources = source, .observers = observer, .grid = nu, .n = n_points, .n_sources = n};
    for (int i = 0; i < n; i++, theta += n_dim) {
        source[i] = (bml_ssc_source){.R = 1e16, .B = pow(10, theta[0]), .gamma_min = 100, .p = theta[3]};
        source[i].gamma_max = pow(10, theta[1]);
        source[i].L_e = pow(10, theta[2]);
        observer[i].delta = pow(10, theta[4]);
    }
    bml_ssc_batch(&job, tables); /* a source that fails gives NaN, which is impossible here */
    for (int i = 0; i < n; i++)
        if (bml_ssc_log_likelihood(ln_l + i, model + i * n_points, point, n_points, -HUGE_VAL)) ln_l[i] = -HUGE_VAL;
    (void)user;
}

static int read_sed(FILE *f) {
    double error;
    for (bml_ssc_point *p = point; f && fscanf(f, "%lf %lf %lf", &p->nu, &p->nuFnu, &error) == 3; p++) {
        if (!(n_points < POINTS - 1 && p->nu > 0 && p->nuFnu > 0 && error > 0)) return 0;
        bml_ssc_point_errors(p, error, error);
        nu[n_points++] = p->nu;
    }
    return f && feof(f) && n_points > 0;
}

int main(int argc, char **argv) {
    if (argc != 3 || sscanf(argv[2], "%lf", &observer[0].redshift) != 1 || !(observer[0].redshift > 0))
        return fprintf(stderr, "usage: tiny_fit THREE_COLUMNS REDSHIFT\n"), 1;
    if (!read_sed(fopen(argv[1], "r")))
        return fprintf(stderr, "%s: no file, or not three positive numbers in row %d\n", argv[1], n_points + 1), 1;
    for (int i = 1; i < BATCH; i++)
        observer[i] = observer[0];
    bml_mcmc_importance_config config = {.n_dim = N_DIM, .batch = BATCH, .min_ess = 2000, .names = name};
    config.log_likelihood = log_likelihood;
    bml_mcmc_importance *s = NULL;
    bml_mcmc_prior *prior = NULL;
    bml_mcmc_verdict v = {0};
    bml_mcmc_summary sum[N_DIM];
    char why[512];
    int status = bml_ssc_create(&tables, NULL, why);
    if (!status) status = bml_mcmc_prior_create(&prior, flat, N_DIM, why);
    config.prior = prior;
    if (!status) status = bml_mcmc_importance_create(&s, &config, why);
    if (!status) status = bml_mcmc_importance_run(s, 0);
    if (!status || status == BML_MCMC_NOT_CONVERGED) status = bml_mcmc_importance_summary(s, sum);
    if (status) return fprintf(stderr, "tiny_fit: %s\n", s ? bml_mcmc_importance_message(s) : why), 1;
    for (int k = 0; k < N_DIM; k++)
        printf("%-15s %8.3f -%.3f +%.3f\n", name[k], sum[k].median, sum[k].minus, sum[k].plus);
    status = bml_mcmc_importance_verdict(&v, s);
    for (int k = 0; k < v.n_reasons; k++)
        printf("%s\n", v.reason[k].text);
    printf("verdict: %s\n", status ? "NOT TO BE TRUSTED" : "usable");
    return status ? 2 : 0;
}
