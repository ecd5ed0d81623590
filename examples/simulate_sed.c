/* simulate_sed: the spectrum that an observer would have of a known source, as a table for fit_sed.

     build/simulate_sed --case 1 >case1.csv && build/fit_sed case1.csv --out case1

   25 points in four bands with gaps between (radio, ultraviolet, X-ray, gamma ray), each moved by Gaussian noise in
   log10 nuFnu; the errors that the table quotes are drawn apart from it. Cases 1 and 2 are the two simulated sources of
   Tzavellas et al. (2024), Table 4. */
#include "common.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"
#include "ebl.h"

enum { N_ROW = 6, N_POINTS = 25 };

static const struct known {
    double row[N_ROW], log_delta; /* as bml_ssc_source_from_row takes it */
} cases[] = {{{16.60, -0.34, 3.37, 5.55, -4.57, 2.20}, 1}, {{15.42, -0.12, 2.31, 4.76, -1.82, 2.62}, 1}};

static const struct band {
    const char *name;
    double lo, hi; /* log10 nu [Hz] */
    int n;
} bands[] = {
    {"radio", 10, 11.5, 4}, {"ultraviolet", 14.5, 15.5, 5}, {"X-ray", 17, 18.7, 10}, {"gamma ray", 22.5, 25, 6}};

typedef struct options {
    long known;
    int grid;
    double redshift, noise, error_lo, error_hi;
    uint64_t seed;
    const char *ebl;
} options;

static void print_table(const options *opt, const double *nu, const double *nuFnu, const char *const *band) {
    const struct known *k = &cases[opt->known - 1];
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, opt->seed, 0);
    printf("# simulated source, true log10 R, B, gamma_min, gamma_max, l_e, and p, log10 delta:");
    for (int i = 0; i < N_ROW; i++)
        printf(" %g", k->row[i]);
    printf(" %g\n# redshift: %g\n", k->log_delta, opt->redshift);
    printf("# noise %g dex, quoted errors %g ... %g dex, seed %llu\n", opt->noise, opt->error_lo, opt->error_hi,
           (unsigned long long)opt->seed);
    printf("nu_Hz,nuFnu_erg_cm2_s,err_dex,instrument\n");
    for (int i = 0; i < N_POINTS; i++) {
        const double off = opt->noise * bml_mcmc_rng_normal(&rng);
        const double u = bml_mcmc_rng_uniform(&rng);
        if (!(nuFnu[i] > 0)) continue; /* above the highest photon energy */
        printf("%.6e,%.6e,%.4f,%s\n", nu[i], nuFnu[i] * pow(10, off),
               opt->error_lo + u * (opt->error_hi - opt->error_lo), band[i]);
    }
}

int main(int argc, char **argv) {
    options opt = {.known = 1, .redshift = 0.1, .noise = 0.1, .error_lo = 0.1, .error_hi = 0.4, .seed = 1};
    const option_row rows[] = {
        {.name = "case", .integer = &opt.known, .min = 1, .max = 2, .value = "N", .help = "which source: 1 or 2"},
        {.name = "grid", .choice = &opt.grid, .value = "converged|athena", .help = "energy grid of the solver"},
        {.name = "redshift", .real = &opt.redshift, .min = 1e-4, .max = 10, .value = "Z", .help = "of the source"},
        {.name = "ebl",
         .text = &opt.ebl,
         .value = "FILE",
         .help = "optical depths of the extragalactic background light (ebl.h); none: no absorption"},
        {.name = "noise",
         .real = &opt.noise,
         .min = 0,
         .max = 10,
         .value = "DEX",
         .help = "sd of what moves the points"},
        {.name = "error-lo",
         .real = &opt.error_lo,
         .min = 1e-6,
         .max = 10,
         .value = "DEX",
         .help = "smallest quoted error"},
        {.name = "error-hi",
         .real = &opt.error_hi,
         .min = 1e-6,
         .max = 10,
         .value = "DEX",
         .help = "largest quoted error"},
        {.name = "seed", .natural = &opt.seed, .value = "S", .help = "of noise and errors"},
        {0}};
    double nu[N_POINTS];
    double nuFnu[N_POINTS];
    const char *band[N_POINTS];
    bml_ssc_config config = {0};
    bml_ssc_source source = {0};
    bml_ssc_observer observer = {0};
    ebl_table ebl = {0};
    char err[ERROR_SIZE];
    bml_ssc_blob *blob = NULL;
    int n = 0;
    if (options_parse(
            argc, argv, rows, "simulate_sed [options]",
            "Prints a table of 25 fluxes [erg cm^-2 s^-1] of a known synchrotron self-Compton source, with noise.") !=
        argc)
        fail("simulate_sed: no argument expected, see --help");
    if (opt.error_hi < opt.error_lo) fail("simulate_sed: --error-hi must not be below --error-lo");
    for (size_t b = 0; b < sizeof bands / sizeof *bands; b++)
        for (int i = 0; i < bands[b].n; i++, n++) {
            nu[n] = pow(10, bands[b].lo + (bands[b].hi - bands[b].lo) * i / (bands[b].n - 1));
            band[n] = bands[b].name;
        }
    config.grid = opt.grid ? BML_SSC_ATHENA : BML_SSC_CONVERGED;
    bml_ssc_source_from_row(&source, cases[opt.known - 1].row);
    observer.redshift = opt.redshift;
    observer.delta = pow(10, cases[opt.known - 1].log_delta);
    if (opt.ebl && ebl_read(&ebl, opt.ebl, err)) fail("%s", err);
    if (opt.ebl) observer.ebl = &ebl.tau;
    bml_ssc *tables;
    char why[BML_SSC_MESSAGE];
    if (bml_ssc_create(&tables, &config, why) || bml_ssc_blob_create(&blob, tables, why)) fail("simulate_sed: %s", why);
    int status = bml_ssc_solve(blob, &source);
    if (!status) status = bml_ssc_sed(nuFnu, nu, N_POINTS, blob, &observer, BML_SSC_TOTAL);
    if (status == BML_SSC_OUTSIDE_TABLE)
        fail("%s: does not hold redshift %g up to %g Hz", opt.ebl, opt.redshift, nu[n - 1]);
    if (status) fail("simulate_sed: %s %s", bml_ssc_strerror(status), bml_ssc_message(blob));
    print_table(&opt, nu, nuFnu, band);
    bml_ssc_blob_free(blob);
    bml_ssc_free(tables);
    ebl_free(&ebl);
    return 0;
}
