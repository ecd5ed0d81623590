/* simulate_sed: the spectrum that an observer would have of a known source, as a table for fit_sed.

     build/simulate_sed --case 1 >case1.csv && build/fit_sed case1.csv --out case1
     build/simulate_sed --source 16,-0.5,3,6,-3.5,2.1 --delta 25 --band optical,14.4,14.9,4 --band TeV,25.5,26.8,8 \
                        --noise 0.03 --error-lo 0.03 --error-hi 0.05 --ebl dominguez2011 --redshift 0.05

   Points in bands with gaps between (by default 25 in four: radio, ultraviolet, X-ray, gamma ray), each moved by
   Gaussian noise in log10 nuFnu; the errors that the table quotes are drawn apart from it. Cases 1 and 2 are the two
   simulated sources of Tzavellas et al. (2024), Table 4. */
#include "common.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"
#include "ebl.h"
#include "surroundings.h"

enum { N_ROW = 6, MAX_POINTS = 1000, MAX_BANDS = 32, NAME = 40 };

static const struct known {
    double row[N_ROW], log_delta; /* as bml_ssc_source_from_row takes it */
} cases[] = {{{16.60, -0.34, 3.37, 5.55, -4.57, 2.20}, 1}, {{15.42, -0.12, 2.31, 4.76, -1.82, 2.62}, 1}};

typedef struct band {
    char name[NAME];
    double lo, hi; /* log10 nu [Hz] */
    int n;
} band;
static const band usual_bands[] = {
    {"radio", 10, 11.5, 4}, {"ultraviolet", 14.5, 15.5, 5}, {"X-ray", 17, 18.7, 10}, {"gamma ray", 22.5, 25, 6}};

typedef struct options {
    long known;
    int grid, ssa, gg, sphere, electrons;
    double redshift, noise, error_lo, error_hi, delta, log_break, p2, curvature;
    surroundings around;
    uint64_t seed;
    const char *ebl, *source;
    option_list bands, field, thermal, set;
} options;

typedef struct table { /* what is simulated */
    double row[N_ROW], delta;
    band bands[MAX_BANDS];
    int n_bands, n;
    double nu[MAX_POINTS], nuFnu[MAX_POINTS];
    const char *band[MAX_POINTS];
} table;

/* Six numbers "16,-1,3,6,-4,2.2". */
static void read_source(double *row, const char *text) {
    char copy[256];
    char *field[N_ROW + 1];
    snprintf(copy, sizeof copy, "%s", text);
    int n = split(field, N_ROW + 1, copy, ',');
    if (n != N_ROW) {
        fail("simulate_sed: --source %s: %d numbers, must be 6", text, n);
    }
    for (int i = 0; i < N_ROW; i++) {
        const char *wrong = read_real(&row[i], field[i]);
        if (wrong) {
            fail("simulate_sed: --source: '%.40s' %s", field[i], wrong);
        }
        if (i < N_ROW - 1 && fabs(row[i]) > 30) {
            fail("simulate_sed: --source: %g is a plain value where its logarithm belongs", row[i]);
        }
    }
}

/* "NAME,LO,HI,N" */
static void read_band(band *b, const char *text) {
    char copy[256];
    char *field[5];
    double n = 0;
    snprintf(copy, sizeof copy, "%s", text);
    if (split(field, 5, copy, ',') != 4) {
        fail("simulate_sed: --band %s: must be NAME,LO,HI,N", text);
    }
    snprintf(b->name, sizeof b->name, "%s", field[0]);
    const char *wrong = read_real(&b->lo, field[1]);
    if (!wrong) {
        wrong = read_real(&b->hi, field[2]);
    }
    if (!wrong) {
        wrong = read_real(&n, field[3]);
    }
    if (wrong) {
        fail("simulate_sed: --band %s: a number %s", text, wrong);
    }
    if (!(b->lo >= 5 && b->hi <= 30 && b->hi >= b->lo) || !(n >= 1 && n <= 200) || n != floor(n)) {
        fail("simulate_sed: --band %s: must be 5 <= LO <= HI <= 30 (log10 nu [Hz]) and N = 1 ... 200", text);
    }
    b->n = (int)n;
}

static void lay_points(table *t, const options *opt) {
    t->n_bands = (int)(sizeof usual_bands / sizeof *usual_bands);
    memcpy(t->bands, usual_bands, sizeof usual_bands);
    if (opt->bands.n > MAX_BANDS) {
        fail("simulate_sed: at most %d bands", MAX_BANDS);
    }
    if (opt->bands.n) {
        t->n_bands = opt->bands.n;
    }
    for (int b = 0; b < opt->bands.n; b++)
        read_band(&t->bands[b], opt->bands.item[b]);
    for (int b = 0; b < t->n_bands; b++)
        for (int i = 0; i < t->bands[b].n; i++) {
            const band *own = &t->bands[b];
            if (t->n == MAX_POINTS) {
                fail("simulate_sed: more than %d points", MAX_POINTS);
            }
            t->nu[t->n] = pow(10, own->lo + (own->n > 1 ? (own->hi - own->lo) * i / (own->n - 1) : 0));
            t->band[t->n++] = own->name;
        }
}

static void print_table(const options *opt, const table *t) {
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, opt->seed, 0);
    printf("# simulated source, true log10 R, B, gamma_min, gamma_max, l_e, and p, log10 delta:");
    for (int i = 0; i < N_ROW; i++)
        printf(" %g", t->row[i]);
    printf(" %g\n# redshift: %g\n", log10(t->delta), opt->redshift);
    if (opt->electrons) {
        printf("# electrons: shape %d, log10 gamma_break %g, p2 %g, curvature %g\n", opt->electrons, opt->log_break,
               opt->p2, opt->curvature);
    }
    if (opt->around.fields || opt->around.shines) {
        printf("# around the blob:");
        for (int k = 0; k < AROUND_NAMES; k++)
            if ((opt->around.fields | opt->around.shines) & (1 << k)) {
                printf(" %s", around_names[k]);
            }
        for (int k = 0; k < AROUND_MEMBERS; k++) {
            const double value = *(const double *)(const void *)((const char *)&opt->around + around_members[k].at);
            if (value > 0) {
                printf(", %s %.6g", around_members[k].name, log10(value));
            }
        }
        printf("\n");
    }
    printf("# noise %g dex, quoted errors %g ... %g dex, seed %llu\n", opt->noise, opt->error_lo, opt->error_hi,
           (unsigned long long)opt->seed);
    printf("nu_Hz,nuFnu_erg_cm2_s,err_dex,instrument\n");
    for (int i = 0; i < t->n; i++) {
        const double off = opt->noise * bml_mcmc_rng_normal(&rng);
        const double u = bml_mcmc_rng_uniform(&rng);
        if (!(t->nuFnu[i] > 0)) {
            continue; /* above the highest photon energy */
        }
        const double error = opt->error_lo + u * (opt->error_hi - opt->error_lo);
        printf("%.6e,%.6e,%.4f,%s\n", t->nu[i], t->nuFnu[i] * pow(10, off), error, t->band[i]);
    }
}

/* The true fluxes. */
static void solve(table *t, const options *opt) {
    bml_ssc_config config = {0};
    bml_ssc_source source = {0};
    bml_ssc_observer observer = {0};
    bml_ssc_external field[AROUND_FIELDS];
    ebl_table ebl = {0};
    char err[ERROR_SIZE];
    char path[PATH_SIZE];
    char why[BML_SSC_MESSAGE];
    config.grid = opt->grid ? BML_SSC_ATHENA : BML_SSC_CONVERGED;
    bml_ssc_source_from_row(&source, t->row);
    source.self_absorption = opt->ssa ? BML_SSC_SSA_HEATING : BML_SSC_SSA_OFF;
    source.pair_production = opt->gg;
    source.photon_escape = opt->sphere ? BML_SSC_SPHERE : BML_SSC_RATE;
    source.injection = (bml_ssc_injection)opt->electrons;
    source.gamma_break = opt->log_break != 0 ? pow(10, opt->log_break) : 0;
    source.p2 = opt->p2;
    source.curvature = opt->curvature;
    source.external = field;
    source.n_external = surroundings_fields(field, &opt->around);
    source.distance = opt->around.distance;
    source.Gamma = opt->around.Gamma;
    source.delta = t->delta;
    observer.redshift = opt->redshift;
    observer.delta = t->delta;
    if (opt->ebl && strcmp(opt->ebl, "none")) {
        if (ebl_find(path, sizeof path, opt->ebl, err)) {
            fail("%s", err);
        }
        if (ebl_read(&ebl, path, err)) {
            fail("%s", err);
        }
        observer.ebl = &ebl.tau;
    }
    bml_ssc *tables = NULL;
    bml_ssc_blob *blob = NULL;
    if (bml_ssc_create(&tables, &config, why) || bml_ssc_blob_create(&blob, tables, why)) {
        fail("simulate_sed: %s", why);
    }
    int status = bml_ssc_solve(blob, &source);
    if (status) {
        fail("simulate_sed: %s", bml_ssc_message(blob));
    }
    status = bml_ssc_sed(t->nuFnu, t->nu, t->n, blob, &observer, BML_SSC_TOTAL);
    if (status == BML_SSC_OUTSIDE_TABLE) {
        fail("%s: does not hold redshift %g up to %g Hz", opt->ebl, opt->redshift, t->nu[t->n - 1]);
    }
    if (status) {
        fail("simulate_sed: %s", bml_ssc_strerror(status));
    }
    if (surroundings_absorb(t->nuFnu, t->nu, t->n, &opt->around, why) ||
        surroundings_add(t->nuFnu, t->nu, t->n, &opt->around, opt->around.shines, &observer, why)) {
        fail("simulate_sed: %s", why);
    }
    bml_ssc_blob_free(blob);
    bml_ssc_free(tables);
    ebl_free(&ebl);
}

/* --field, --thermal and --set. */
static void stand_around(options *opt, double delta) {
    char err[ERROR_SIZE];
    surroundings *s = &opt->around;
    for (int i = 0; i < opt->field.n; i++)
        if (surroundings_read(&s->fields, opt->field.item[i], AROUND_SCATTERED, err)) {
            fail("--field: %s", err);
        }
    for (int i = 0; i < opt->thermal.n; i++)
        if (surroundings_read(&s->shines, opt->thermal.item[i], AROUND_SHINING, err)) {
            fail("--thermal: %s", err);
        }
    for (int i = 0; i < opt->set.n; i++)
        if (surroundings_set(s, opt->set.item[i], err)) {
            fail("--set %s", err);
        }
    if (!s->fields && !s->shines) {
        return;
    }
    s->redshift = opt->redshift;
    surroundings_usual(s, delta);
}

static options opt = {.known = 1, .redshift = 0.1, .noise = 0.1, .error_lo = 0.1, .error_hi = 0.4, .seed = 1};

static const option_row rows[] = {
    {.name = "case", .integer = &opt.known, .min = 1, .max = 2, .value = "N", .help = "which source: 1 or 2; or"},
    {.name = "source",
     .text = &opt.source,
     .value = "R,B,GMIN,GMAX,L_E,P",
     .help = "any: log10 R [cm], B [G], gamma_min, gamma_max, compactness; p"},
    {.name = "delta",
     .real = &opt.delta,
     .min = 0,
     .max = 1e4,
     .value = "D",
     .help = "Doppler factor; 0: that of the case"},
    {.name = "electrons",
     .choice = &opt.electrons,
     .value = "power|broken|logparabola|cutoff",
     .help = "shape of the injection"},
    {.name = "log-gamma-break",
     .real = &opt.log_break,
     .min = -3,
     .max = 12,
     .value = "X",
     .help = "log10 of the break, pivot or cut-off"},
    {.name = "p2", .real = &opt.p2, .min = -10, .max = 10, .value = "P", .help = "index above the break"},
    {.name = "curvature",
     .real = &opt.curvature,
     .min = -10,
     .max = 10,
     .value = "C",
     .help = "of the log-parabola, per decade"},
    {.name = "field",
     .list = &opt.field,
     .value = "blr,lines,torus,disc,cmb,grey",
     .help = "photons from outside that the blob scatters, and that absorb its gamma rays"},
    {.name = "thermal", .list = &opt.thermal, .value = "disc,torus,host", .help = "what shines beside the blob"},
    {.name = "set",
     .list = &opt.set,
     .value = "NAME=X",
     .help = "of those, log10: log_distance [cm], log_Gamma [= delta], log_L_disc [erg/s], log_M_bh [Msun], "
             "log_R_blr, log_R_torus [cm], log_f_blr, log_f_torus, log_T_torus [K], log_u_ext [erg/cm3] and log_T_ext "
             "[K] of the grey body in the blob's frame, log_L_host [erg/s]"},
    {.name = "ssa", .flag = &opt.ssa, .help = "synchrotron self-absorption"},
    {.name = "gg", .flag = &opt.gg, .help = "photon-photon absorption and pair injection"},
    {.name = "escape", .choice = &opt.sphere, .value = "rate|sphere", .help = "how photons leave (bml_ssc.h, 14)"},
    {.name = "grid", .choice = &opt.grid, .value = "converged|athena", .help = "energy grid of the solver"},
    {.name = "redshift", .real = &opt.redshift, .min = 1e-4, .max = 10, .value = "Z", .help = "of the source"},
    {.name = "ebl",
     .text = &opt.ebl,
     .value = "none|NAME|FILE",
     .help = "extragalactic background light (ebl.h): dominguez2011, saldana2021, or a table"},
    {.name = "band",
     .list = &opt.bands,
     .value = "NAME,LO,HI,N",
     .help = "N points from log10 nu = LO to HI [Hz] (may be repeated); none: the usual four"},
    {.name = "noise", .real = &opt.noise, .min = 0, .max = 10, .value = "DEX", .help = "sd of what moves the points"},
    {.name = "error-lo",
     .real = &opt.error_lo,
     .min = 1e-6,
     .max = 10,
     .value = "DEX",
     .help = "smallest quoted error"},
    {.name = "error-hi", .real = &opt.error_hi, .min = 1e-6, .max = 10, .value = "DEX", .help = "largest quoted error"},
    {.name = "seed", .natural = &opt.seed, .value = "S", .help = "of noise and errors"},
    {0}};

int main(int argc, char **argv) {
    static table t;
    if (options_parse(argc, argv, rows, "simulate_sed [options]",
                      "Prints a table of fluxes [erg cm^-2 s^-1] of a known synchrotron self-Compton source, with "
                      "noise.") != argc) {
        fail("simulate_sed: no argument expected, see --help");
    }
    if (opt.error_hi < opt.error_lo) {
        fail("simulate_sed: --error-hi must not be below --error-lo");
    }
    memcpy(t.row, cases[opt.known - 1].row, sizeof t.row);
    t.delta = pow(10, cases[opt.known - 1].log_delta);
    if (opt.source) {
        read_source(t.row, opt.source);
    }
    if (opt.source && opt.delta == 0) {
        fail("simulate_sed: --source needs --delta");
    }
    if (opt.delta > 0) {
        t.delta = opt.delta;
    }
    stand_around(&opt, t.delta);
    lay_points(&t, &opt);
    solve(&t, &opt);
    print_table(&opt, &t);
    output_arrived("simulate_sed");
    return 0;
}
