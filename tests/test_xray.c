/* test_xray.c: the models against quadrature and closed forms, folding against the plain double sum, statistics against
   numerical maximisation, the readers against files written here through cfitsio (and damaged), fits against known
   truth and published numbers. */
#include "common.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#include "check.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#include "ebl.h"
#include "surrogate.h"
#include "xray_judge.h"
#include "xray_table.h"
#include "xray_ssc.h"

/* Read by the address sanitizer at the start: cfitsio asks for absurd amounts of memory when a file is damaged, and
   takes a refusal well. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocator_may_return_null=1";
}

static char err[ERROR_SIZE];
static bml_mcmc_rng rng;
static xray_absorption wilm, angr;

static double uniform(double lo, double hi) {
    return lo + (hi - lo) * bml_mcmc_rng_uniform(&rng);
}

static int quick(void) {
    return getenv("BML_CHECK_QUICK") != NULL;
}

/* ==== vector exp ================================================================================================== */

static void test_exp(void) {
    double x[2001];
    double y[2001];
    double worst = 0;
    for (int i = 0; i <= 2000; i++)
        x[i] = -700 + 0.7 * i;
    xray_exp(y, x, 2001);
    for (int i = 0; i <= 2000; i++)
        worst = fmax(worst, fabs(y[i] / exp(x[i]) - 1));
    /* the series is cut at r^12/12!: 2e-16 at r = ln2/2; a dozen roundings of 1e-16 beside it */
    CHECK_LE(worst, 2e-15, "exp of an array, relative error over -700 ... 700");
    x[0] = (double)NAN;
    x[1] = 1e300;
    x[2] = -1e300;
    x[3] = 0;
    xray_exp(y, x, 4);
    CHECK(isnan(y[0]) && isfinite(y[1]) && y[1] > 1e303 && y[2] >= 0 && y[2] < 1e-303 && y[3] >= 1 && y[3] <= 1,
          "exp: NaN stays, large numbers are cut, exp(0) = 1");
}

/* ==== components ================================================================================================== */

/* Photons/(cm2 s keV) by the formulas of the documentation, written down once more. */
typedef double (*density)(double e, const double *par);
static double d_powerlaw(double e, const double *p) {
    return p[1] * pow(e, -p[0]);
}
static double d_zpowerlw(double e, const double *p) {
    return p[2] * pow(e * (1 + p[1]), -p[0]);
}
static double d_cutoffpl(double e, const double *p) {
    return p[2] * pow(e, -p[0]) * exp(-e / p[1]);
}
static double d_logpar(double e, const double *p) {
    return p[3] * pow(e / p[2], -(p[0] + p[1] * log10(e / p[2])));
}
static double d_bknpower(double e, const double *p) {
    return e < p[1] ? p[3] * pow(e, -p[0]) : p[3] * pow(p[1], p[2] - p[0]) * pow(e, -p[2]);
}
static double d_pegpwrlw(double e, const double *p) {
    double s = 2 - p[0]; /* keV between eMin and eMax of E^-PhoIndex */
    return p[3] * 1e-12 / 1.602176634e-9 * pow(e, -p[0]) * s / (pow(p[2], s) - pow(p[1], s));
}
static double d_bbodyrad(double e, const double *p) {
    return p[1] * 1.0344e-3 * e * e / expm1(e / p[0]);
}
static double d_gaussian(double e, const double *p) {
    double z = (e - p[0]) / p[1];
    return p[2] * exp(-0.5 * z * z) / (p[1] * sqrt(2 * acos(-1.0)));
}
static double d_diskbb(double e, const double *p) { /* rings of black body, in s = ln(1/t) by Simpson's rule */
    double sum = 0;
    int n = 4000;
    for (int i = 0; i <= n; i++) { /* beyond t = e^-30 the rings are colder than anything: exp(-E/(t Tin)) */
        double t = exp(-12.0 * i / n);
        double x = e / (t * p[0]);
        double f = x > 600 ? 0 : pow(t, -8.0 / 3) / expm1(x);
        sum += (i == 0 || i == n ? 1 : i % 2 ? 4 : 2) * f * 12.0 / n / 3;
    }
    return p[1] * 1.0344e-3 * 8 / 3 * e * e * sum;
}

static double simpson(density f, const double *p, double a, double b, int n) {
    double sum = f(a, p) + f(b, p);
    for (int i = 1; i < n; i++)
        sum += (i % 2 ? 4 : 2) * f(a + (b - a) * i / n, p);
    return sum * (b - a) / n / 3;
}

static void eval(double *flux, const char *expression, const xray_grid *g, const double *par) {
    xray_model m;
    if (xray_model_parse(&m, expression, err)) {
        CHECK(0, "%s", err);
        return;
    }
    double *scratch;
    scratch = xray_alloc((size_t)g->n, (4 + (size_t)m.depth) * sizeof *scratch);
    xray_model_eval(flux, &m, g, par, scratch);
    free(scratch);
}

static void test_components(void) {
    static const struct {
        const char *name;
        density f;
        double par[4], tolerance; /* of the bins: 5 % wide in energy, as those of responses */
    } cases[] = {{"powerlaw", d_powerlaw, {2.1, 3e-4, 0}, 1e-10},
                 {"powerlaw", d_powerlaw, {1, 2, 0}, 1e-10},
                 {"powerlaw", d_powerlaw, {1.0000001, 2, 0}, 1e-10},
                 {"zpowerlw", d_zpowerlw, {1.7, 0.158, 0.02}, 1e-10},
                 {"cutoffpl", d_cutoffpl, {1.5, 4, 0.1}, 1e-7},
                 {"cutoffpl", d_cutoffpl, {-1, 0.5, 0.1}, 1e-6},
                 {"logpar", d_logpar, {2, 0.4, 1, 1e-3}, 1e-7},
                 {"logpar", d_logpar, {1.8, 0.2, 2.5, 1e-3}, 1e-7},
                 {"bknpower", d_bknpower, {1.2, 2.05, 2.6, 0.01}, 1e-5},
                 {"pegpwrlw", d_pegpwrlw, {1.7, 2, 10, 5}, 1e-9},
                 {"bbodyrad", d_bbodyrad, {0.76, 0.174, 0}, 1e-7},
                 {"bbodyrad", d_bbodyrad, {0.1, 100, 0}, 1e-4},
                 {"gaussian", d_gaussian, {6.4, 0.05, 1e-4}, 1e-4},
                 {"diskbb", d_diskbb, {1.1, 10, 0}, 2e-6},
                 {"diskbb", d_diskbb, {0.15, 10, 0}, 1e-4}};
    xray_grid g;
    double flux[100];
    xray_grid_band(&g, 0.1, 12, 100, &wilm, err);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        double worst = 0;
        double top = 0;
        char text[80];
        eval(flux, cases[c].name, &g, cases[c].par);
        for (int i = 0; i < g.n; i++)
            top = fmax(top, flux[i]);
        for (int i = 0; i < g.n; i++) {
            int n = cases[c].f == d_diskbb ? 8 : 400;
            double want = simpson(cases[c].f, cases[c].par, g.edge[i], g.edge[i + 1], n);
            if (want > 1e-10 * top) worst = fmax(worst, fabs(flux[i] - want) / want);
        }
        /* quadrature error (w/kT)^6/2e6 with w = 0.05 E: for kT = 0.1 at E = 2.5, where the flux ends, 2e-6 ... 1e-4;
           the disc's table holds ln G to 1e-7; the line's tails come from a difference of numbers near 1 */
        snprintf(text, sizeof text, "%s (%g, %g) integrated over bins, against Simpson's rule", cases[c].name,
                 cases[c].par[0], cases[c].par[1]);
        CHECK_LE(worst, cases[c].tolerance, text);
    }
    xray_grid_free(&g);
}

static void test_closed_forms(void) {
    double zeta3 = 1.2020569031595943;
    double sum = 0;
    double flux[4000];
    double line[] = {6.4, 0.1, 2.5};
    double wide[2] = {1, 100};
    double bb[] = {0.5, 2};
    double disk[] = {1, 3};
    double steep[] = {3, 2};
    double narrow[] = {2, 0, 1};
    /* Gamma(8/3) zeta(8/3) */
    double g0 = tgamma(8.0 / 3) * 1.2841909;
    xray_grid g;
    xray_grid_band(&g, 1e-4, 60, 4000, &wilm, err);
    eval(flux, "bbodyrad", &g, bb);
    for (int i = 0; i < g.n; i++)
        sum += flux[i];
    CHECK_NEAR(sum, bb[1] * 1.0344e-3 * pow(bb[0], 3) * 2 * zeta3, 1e-6 * sum,
               "bbodyrad: all photons, C kT^3 2 zeta(3)");
    eval(flux, "diskbb", &g, disk);
    /* the next term is smaller by x^(5/3), 1e-7 here; the bin is 0.3 % wide */
    CHECK_NEAR(flux[0] / (g.edge[1] - g.edge[0]) * pow(g.node[g.n], 2.0 / 3) / (disk[1] * 1.0344e-3 * 8 / 3), g0,
               1e-3 * g0, "diskbb: the E^(-2/3) end, Gamma(8/3) zeta(8/3)");
    eval(flux, "gaussian", &g, line);
    sum = 0;
    for (int i = 0; i < g.n; i++)
        sum += flux[i];
    CHECK_NEAR(sum, line[2], 1e-12, "gaussian: all photons");
    eval(flux, "gaussian", &g, narrow);
    sum = 0;
    for (int i = 0; i < g.n; i++)
        sum += flux[i] * (g.edge[i] < 2 && g.edge[i + 1] >= 2 ? 1 : -1e9);
    CHECK_NEAR(sum, 1, 0, "gaussian of width 0: all photons in one bin");
    xray_grid_free(&g);
    xray_grid_make(&g, wide, 1, &wilm, err);
    eval(flux, "powerlaw", &g, steep);
    CHECK_NEAR(flux[0], 2 * 0.5 * (1 - 1e-4), 1e-12, "powerlaw over a bin of two decades");
    xray_grid_free(&g);
}

static void test_flux(void) {
    double par[] = {0.3, 2, 1e-3};
    double none[] = {0, 2, 1e-3};
    double want = 1e-3 * log(10 / 0.5) * 1.602176634e-9;
    double bb[] = {0.4, 1, 5};
    double pi = acos(-1.0);
    double all = 5 * 1.0344e-3 * pow(pi, 4) / 15 * 1.602176634e-9;
    xray_model m;
    xray_model_parse(&m, "tbabs*powerlaw", err);
    xray_grid g;
    xray_grid_band(&g, 0.5, 10, 1000, &wilm, err);
    double *scratch;
    scratch = xray_alloc(1000, (5 + (size_t)m.depth) * sizeof *scratch);
    /* the rule: photons of a bin at its geometric middle; relative error (ln ratio)^2/24 Gamma-ish, 0.003^2/24 = 4e-7
       */
    CHECK_NEAR(xray_flux(&m, &g, none, 1, scratch), want, 2e-6 * want, "flux of a power law with index 2, K ln(hi/lo)");
    CHECK_NEAR(xray_flux(&m, &g, par, 0, scratch), want, 2e-6 * want, "the same unabsorbed, whatever nH is");
    CHECK(xray_flux(&m, &g, par, 1, scratch) < 0.9 * want, "and less when absorbed");
    xray_grid_free(&g);
    xray_grid_band(&g, 1e-3, 60, 1000, &wilm, err);
    xray_model_parse(&m, "tbabs*bbodyrad", err);
    bb[0] = 0;
    bb[1] = 1;
    CHECK_NEAR(xray_flux(&m, &g, bb, 1, scratch), all, 3e-5 * all, "flux of a black body of 1 keV, C kT^4 pi^4/15");
    free(scratch);
    xray_grid_free(&g);
    CHECK(xray_grid_band(&g, 2, 1, 10, &wilm, err) && xray_grid_band(&g, 0, 1, 10, &wilm, err) &&
              xray_grid_band(&g, (double)NAN, 1, 10, &wilm, err),
          "bands that are none are refused: %s", err);
}

/* The tables that are built in against the whole ones they were made from. */
static void test_absorption(void) {
#ifdef BML_XRAY_USE_CFITSIO
    static const char *const files[] = {"xray/absorption/xsect_tbabs_wilm.fits",
                                        "xray/absorption/xsect_tbabs_angr.fits"};
    for (int k = 0; k < 2; k++) {
        const char *path = check_data(files[k]);
        double worst = 0;
        if (!path) {
            SKIP("%s is not here", files[k]);
            continue;
        }
        xray_absorption whole;
        if (xray_absorption_read(&whole, path, err)) {
            CHECK(0, "%s", err);
            continue;
        }
        for (int i = 0; i < whole.n; i++) {
            double sigma = xray_absorption_sigma(k ? &angr : &wilm, whole.log_e[i]);
            worst = fmax(worst, fabs(sigma / exp(whole.log_sigma[i]) - 1));
        }
        /* 0.2 % by construction; 6 digits of energy beside edges of 1e4 per unit ln E add 0.5 % at one or two of them
           */
        CHECK_LE(worst, 0.008,
                 k ? "absorption, Anders & Grevesse, 186 of 10,000 points" : "absorption, Wilms, 186 of 10,000 points");
        xray_absorption_free(&whole);
    }
#endif
    CHECK_NEAR(xray_absorption_sigma(&wilm, log(0.1)), 609, 2, "absorption at 0.1 keV [1e-22 cm2]");
    CHECK(xray_absorption_sigma(&wilm, log(0.05)) > 3000 && xray_absorption_sigma(&wilm, log(40)) > 0 &&
              xray_absorption_sigma(&wilm, log(40)) < 2e-4,
          "absorption goes on beyond both ends of its table");
}

/* ==== expressions ================================================================================================= */

static void refused(const char *text, int character) {
    xray_model m;
    char want[40];
    int bad = xray_model_parse(&m, text, err);
    snprintf(want, sizeof want, "character %d:", character);
    CHECK(bad == -1 && strstr(err, want), "refused: %s", bad ? err : text);
}

static void test_expressions(void) {
    double par[] = {0.2, 1.7, 1e-3, 0.7, 5};
    double a[50];
    double b[50];
    double sum[50];
    double all[50];
    double worst = 0;
    char deep[400];
    xray_grid g;
    xray_grid_band(&g, 0.3, 10, 50, &wilm, err);
    eval(all, "tbabs*(powerlaw+bbodyrad)", &g, par);
    eval(a, "tbabs*powerlaw", &g, par);
    par[1] = par[3];
    par[2] = par[4];
    eval(b, "bbodyrad * tbabs", &g, (double[]){0.7, 5, 0.2});
    for (int i = 0; i < 50; i++)
        worst = fmax(worst, fabs(all[i] - a[i] - b[i]) / all[i]);
    CHECK_LE(worst, 1e-14, "tbabs*(powerlaw+bbodyrad) is the sum of its parts");
    eval(sum, " tbabs ( powerlaw + bbodyrad ) ", &g, (double[]){0.2, 1.7, 1e-3, 0.7, 5});
    CHECK(!memcmp(sum, all, sizeof all), "tbabs(...) is tbabs*(...)");
    eval(sum, "constant*tbabs*constant*(powerlaw+constant*(bbodyrad))", &g,
         (double[]){2, 0.2, 0.25, 1.7, 2e-3, 4, 0.7, 2.5});
    worst = 0;
    for (int i = 0; i < 50; i++)
        worst = fmax(worst, fabs(all[i] - sum[i]) / all[i]);
    CHECK_LE(worst, 1e-14, "constants multiply what they stand before");
    xray_grid_free(&g);
    xray_model m;
    CHECK(!xray_model_parse(&m, "powerlaw+tbabs*powerlaw+bbodyrad", err) && m.n_par == 7 &&
              !strcmp(m.par[0].name, "powerlaw.PhoIndex") && !strcmp(m.par[3].name, "powerlaw2.PhoIndex"),
          "parameters have names");
    CHECK(xray_model_find(&m, "nH") == 2 && xray_model_find(&m, "kT") == 5 && xray_model_find(&m, "norm") == -2 &&
              xray_model_find(&m, "powerlaw2.norm") == 4 && xray_model_find(&m, "z") == -1,
          "and are found by them");
    refused("", 1);
    refused("tbabs*", 7);
    refused("tbabs*(powerlaw+foo)", 17);
    refused("tbabs*(powerlaw", 7);
    refused("tbabs*powerlaw)", 15);
    refused("powerlaw*bbodyrad", 9);
    refused("powerlaw(bbodyrad)", 9);
    refused("tbabs+powerlaw", 6);
    refused("tbabs*constant", 15);
    refused("2*powerlaw", 1);
    refused("powerlaw powerlaw", 10);
    refused("powerlaw++bbodyrad", 10);
    refused("powerlow", 1);
    refused("()", 2);
    strcpy(deep, "powerlaw");
    for (int i = 0; i < 16; i++)
        strcat(deep, "+powerlaw");
    refused(deep, 16 * 9 + 1);
    memset(deep, '(', 60);
    strcpy(deep + 60, "powerlaw");
    refused(deep, XRAY_NESTED + 1);
    memset(deep, 'p', 399);
    deep[399] = 0;
    CHECK(xray_model_parse(&m, deep, err) == -1, "refused: %s", err);
}

/* phabs against XSPEC's (abund angr, xsect vern: sigma at 1 keV 2.5025, 0.5 keV 6.8412, from its table); shifted
   absorption; cflux: the flux is what it says, whatever stands before it. */
static void test_absorbers(void) {
    static const double edge[] = {0.4999, 0.5001, 0.9999, 1.0001, 1.9998, 2.0002};
    double flux[300];
    double ratio[300];
    double shifted[300];
    xray_grid g;
    xray_grid_make(&g, edge, 5, &wilm, err);
    eval(flux, "powerlaw", &g, (double[]){0, 1});
    eval(ratio, "phabs*powerlaw", &g, (double[]){1, 0, 1});
    /* the table is cut to straight lines within 0.2 % */
    CHECK_NEAR(-log(ratio[0] / flux[0]) / 6.8412, 1, 3e-3, "phabs at 0.5 keV, over XSPEC's");
    CHECK_NEAR(-log(ratio[2] / flux[2]) / 2.5025, 1, 3e-3, "at 1 keV");
    eval(shifted, "zphabs*powerlaw", &g, (double[]){1, 1, 0, 1});
    CHECK_NEAR(log(shifted[0] / flux[0]), log(ratio[2] / flux[2]), 1e-4,
               "zphabs at redshift 1 and 0.5 keV is phabs at 1 keV");
    eval(ratio, "tbabs*powerlaw", &g, (double[]){1, 0, 1});
    eval(shifted, "ztbabs*powerlaw", &g, (double[]){1, 1, 0, 1});
    CHECK_NEAR(log(shifted[2] / flux[2]), log(ratio[4] / flux[4]), 1e-4, "ztbabs likewise");
    xray_grid_free(&g);
    xray_grid_band(&g, 2, 10, 300, &wilm, err);
    eval(flux, "tbabs*cflux*(powerlaw+bbodyrad)", &g, (double[]){0, 2, 10, -11, 1.7, 3, 0.7, 5});
    /* the middle of a bin of ratio 5^(1/300) stands for its energies within 3e-6 */
    CHECK_NEAR(xray_energy(flux, &g) * xray_erg / 1e-11, 1, 1e-5, "cflux: 1e-11 erg/(cm2 s) from 2 to 10 keV");
    eval(ratio, "TBabs(cflux(po+bb))", &g, (double[]){0, 2, 10, -11, 1.7, 30, 0.7, 50});
    CHECK_NEAR(ratio[7] / flux[7], 1, 1e-12, "whatever the norms are");
    xray_grid_free(&g);
    refused("cflux", 6);
    refused("cflux*tbabs", 6);
}

/* ==== a detector made here: Gaussian redistribution, two groups in some rows =======================================
   */

enum { N_E = 300, N_C = 200 };
static double detector[N_E][N_C], detector_area[N_E];

static double detector_edge(int i) {
    return 0.2 * pow(60, (double)i / N_E);
} /* 0.2 to 12 keV */
static double channel_edge(int c) {
    return 0.1 + 0.06 * c;
} /* to 12.1 keV */
static double detector_fwhm(double e) {
    return 0.12 * sqrt(e) + 0.06;
} /* keV */

static void detector_make(void) {
    for (int i = 0; i < N_E; i++) {
        double e = sqrt(detector_edge(i) * detector_edge(i + 1));
        double s = detector_fwhm(e) / 2.3548;
        detector_area[i] = 400 * exp(-0.5 * pow(log(e / 1.5), 2));
        for (int c = 0; c < N_C; c++) {
            double lo = (channel_edge(c) - e) / s;
            double hi = (channel_edge(c + 1) - e) / s;
            double p = fabs(lo) > 5 ? 0 : 0.5 * (erf(hi / sqrt(2.0)) - erf(lo / sqrt(2.0)));
            if (i % 7 == 3 && c < 5) p = 0.002; /* a second group far away, as an escape peak */
            detector[i][c] = p > 1e-5 ? (double)(float)p : 0;
        }
    }
}

/* The same as a response, without a file. */
static void detector_response(xray_response *r, int first_channel) {
    int spans = 0;
    size_t at = 0;
    xray_response_room(r, N_E, N_C, 2 * N_E, N_E * N_C, err);
    r->first_channel = first_channel;
    for (int c = 0; c < N_C; c++) {
        r->e_min[c] = channel_edge(c);
        r->e_max[c] = channel_edge(c + 1);
    }
    for (int i = 0; i < N_E; i++) {
        r->edge[i] = detector_edge(i);
        r->edge[i + 1] = detector_edge(i + 1);
        r->area[i] = detector_area[i];
        for (int c = 0; c < N_C;) {
            while (c < N_C && !(detector[i][c] > 0))
                c++;
            int begin;
            for (begin = c; c < N_C && detector[i][c] > 0; c++)
                r->matrix[at + (size_t)(c - begin)] = (float)detector[i][c];
            if (c == begin) continue;
            r->span[spans].channel = begin;
            r->span[spans].count = c - begin;
            r->span[spans++].at = at;
            at += (size_t)(c - begin);
        }
        r->row[i + 1] = spans;
    }
}

/* Data of this detector with the model's expected counts, not drawn: bins of `how`. */
static void detector_data(xray_data *d, const xray_model *m, const double *par, const xray_binning *b,
                          double exposure) {
    xray_response r;
    xray_binning single = {.how = XRAY_GROUP_NONE};
    detector_response(&r, 1);
    xray_pha p;
    xray_pha_room(&p, N_C, 1, exposure, err);
    if (xray_data_make(d, &p, NULL, &r, &wilm, &single, err)) CHECK(0, "%s", err);
    xray_work *w = xray_work_make(m, d, 1);
    xray_fold_model(d->model, d, m, par, w);
    for (int c = 0; c < N_C; c++)
        p.counts[c] = d->bin[c] >= 0 ? d->model[d->bin[c]] : 0;
    xray_work_free(w);
    xray_data_free(d);
    if (xray_data_make(d, &p, NULL, &r, &wilm, b, err)) CHECK(0, "%s", err);
    xray_pha_free(&p);
    xray_response_free(&r);
}

/* Model counts in bins, by the plain double sum over the dense matrix; lo[n], hi[n] are channels of each bin. */
static double plain_fold(const double *flux, int lo, int hi, double exposure) {
    double sum = 0;
    for (int i = 0; i < N_E; i++)
        for (int c = lo; c < hi; c++)
            sum += flux[i] * detector_area[i] * exposure * detector[i][c];
    return sum;
}

static void test_fold(void) {
    static const double par[] = {0.1, 2, 1e-2, 0.7, 20};
    double flux[N_E];
    double edges[N_E + 1];
    double worst = 0;
    xray_binning b = {.e_lo = 0.5, .e_hi = 10, .how = XRAY_GROUP_EVERY, .every = 5};
    xray_model m;
    xray_model_parse(&m, "tbabs*(powerlaw+bbodyrad)", err);
    for (int i = 0; i <= N_E; i++)
        edges[i] = detector_edge(i);
    xray_grid g;
    xray_grid_make(&g, edges, N_E, &wilm, err);
    eval(flux, m.text, &g, par);
    xray_grid_free(&g);
    xray_data d;
    detector_data(&d, &m, par, &b, 1000);
    xray_work *w = xray_work_make(&m, &d, 1);
    xray_fold_model(d.model, &d, &m, par, w);
    for (int k = 0; k < d.n; k++) {
        int lo = 7 + 5 * k; /* the first channel that begins at 0.5 keV or above: 0.1 + 0.06 c */
        double want = plain_fold(flux, lo, lo + 5, 1000);
        worst = fmax(worst, fabs(d.model[k] - want) / want);
        if (k == 0) CHECK_NEAR(d.e_lo[0], channel_edge(7), 1e-12, "energy range: the first channel");
    }
    /* weights are floats: a sum of channels, rounded once, 6e-8 */
    CHECK_LE(worst, 1e-6, "fold into bins of 5 channels, against the double sum over all");
    CHECK(d.n == 31 && d.e_hi[d.n - 1] <= 10, "31 whole bins of 5 channels between 0.5 and 10 keV: %d", d.n);
    xray_work_free(w);
    xray_data_free(&d);
}

/* ==== binning ===================================================================================================== */

static void test_binning(void) {
    static const double par[] = {2, 1e-2};
    double before = xray_optimal_width(exp(2.1189) / (1 + 0.2 * log(50.0)), 50);
    double after = xray_optimal_width(exp(2.1191) / (1 + 0.2 * log(50.0)), 50);
    int below = 0;
    xray_binning b = {.how = XRAY_GROUP_MIN, .counts = 50};
    CHECK(fabs(before - after) < 1e-3 && before >= 1, "optimal bins: both branches meet at x = 2.119");
    CHECK_NEAR(xray_optimal_width(1e6, 100), 1.0 / 3, 0.1, "optimal bins: about a third of the FWHM for many counts");
    CHECK(xray_optimal_width(0, 10) >= 1, "optimal bins: the FWHM without counts");
    xray_model m;
    xray_model_parse(&m, "powerlaw", err);
    xray_data d;
    detector_data(&d, &m, par, &b, 100);
    for (int k = 0; k < d.n; k++)
        below += d.counts[k] < 50;
    CHECK(d.n > 10 && below == 0, "at least 50 counts: %d bins, %d below", d.n, below);
    xray_data_free(&d);
    b.how = XRAY_GROUP_OPTIMAL;
    b.counts = 0;
    for (int bright = 0; bright < 2; bright++) {
        int wide = 0;
        int finer = 0;
        detector_data(&d, &m, par, &b, bright ? 1e5 : 0.05);
        for (int k = 1; k + 1 < d.n; k++) {
            double fwhm = detector_fwhm(sqrt(d.e_lo[k] * d.e_hi[k]));
            double width = d.e_hi[k] - d.e_lo[k];
            wide += width > 1.1 * fwhm + 0.061; /* one channel more than it may be, and the FWHM of rounded rows */
            finer += width < 0.7 * fwhm;
        }
        CHECK(d.n > 10 && wide == 0, "optimal bins, %s: %d bins, none wider than the FWHM", bright ? "bright" : "faint",
              d.n);
        CHECK(bright ? finer > d.n / 2 : finer < d.n / 2, "and %s are well below it: %d", bright ? "most" : "few",
              finer);
        xray_data_free(&d);
    }
}

/* ==== statistics ================================================================================================== */

/* -2 ln L of both spectra by the background b in the source's spectrum, less that of a perfect model. */
static double w_direct(double s, double b, double r, double m, double back) {
    double lambda = m + back;
    double off = back / r;
    double v = lambda - s + off - b;
    if (s > 0) v += s * log(s / lambda);
    if (b > 0) v += b * log(b / off);
    return 2 * v;
}

static void test_statistics(void) {
    double worst = 0;
    double worst_slope = 0;
    double back;
    for (int t = 0; t < 2000; t++) {
        double s = floor(uniform(0, 1) < 0.2 ? 0 : uniform(0, 60));
        double b = floor(uniform(0, 1) < 0.2 ? 0 : uniform(0, 60));
        double r = exp(uniform(-3, 3));
        double m = exp(uniform(-4, 5));
        double lo = 1e-12;
        double hi = 2 * (s + b * r + 1);
        double h = 1e-5 * m;
        double counts[1] = {s};
        double background[1] = {b};
        double ratio[1] = {r};
        double slope = 0;
        double curvature = 0;
        for (int i = 0; i < 300; i++) { /* golden section: the profile is convex in b */
            double x = lo + 0.381966 * (hi - lo);
            double y = hi - 0.381966 * (hi - lo);
            if (w_direct(s, b, r, m, x) < w_direct(s, b, r, m, y))
                hi = y;
            else
                lo = x;
        }
        double w = xray_w(&back, s, b, r, m);
        worst = fmax(worst, fabs(w - w_direct(s, b, r, m, lo)) / (1 + fabs(w)));
        xray_data d;
        memset(&d, 0, sizeof d);
        d.n = 1;
        d.counts = counts;
        d.background = background;
        d.ratio = ratio;
        double up = m + h;
        double down = m - h;
        xray_statistic(&slope, &curvature, &d, &m, XRAY_W);
        w = (xray_statistic(NULL, NULL, &d, &up, XRAY_W) - xray_statistic(NULL, NULL, &d, &down, XRAY_W)) / (2 * h);
        worst_slope = fmax(worst_slope, fabs(slope - w) / (1 + fabs(w)));
    }
    CHECK_LE(worst, 1e-9, "W, against maximising the likelihood by the background, 2,000 cases");
    /* differences: rounding 1e-16 W/h = 1e-9/m .. and the kink where b = 0 begins */
    CHECK_LE(worst_slope, 2e-4, "and its slope, against differences");
    {
        double counts[3] = {0, 4, 100};
        double model[3] = {2, 3, 110};
        double variance[3] = {1, 4, 100};
        double slope[3];
        double curvature[3];
        double c = 2 * (2 + 3 - 4 + 4 * log(4.0 / 3) + 110 - 100 + 100 * log(100.0 / 110));
        double nan_model[3] = {1, (double)NAN, 1};
        xray_data d;
        memset(&d, 0, sizeof d);
        d.n = 3;
        d.counts = counts;
        d.variance = variance;
        CHECK_NEAR(xray_statistic(slope, curvature, &d, model, XRAY_C), c, 1e-12, "C of three bins");
        CHECK_NEAR(slope[1], 2 * (1 - 4.0 / 3), 1e-15, "its slope");
        CHECK_NEAR(xray_statistic(slope, curvature, &d, model, XRAY_CHI2), 4 + 0.25 + 1, 1e-12, "chi2 of three bins");
        CHECK(isinf(xray_statistic(NULL, NULL, &d, nan_model, XRAY_C)), "a model that is no number: infinite");
    }
}

static void test_expected(void) {
    static const double means[] = {0.01, 0.5, 3, 30, 99, 101, 3000, 9000, 11000};
    for (size_t k = 0; k < sizeof means / sizeof *means; k++) {
        double m = means[k];
        double sum = 0;
        double square = 0;
        double p = 0;
        char text[80];
        for (long n = 0; n < 20000; n++) { /* the definition, over all counts that matter */
            p = exp((double)n * log(m) - m - lgamma((double)n + 1));
            double c = 2 * (n > 0 ? m - (double)n + (double)n * log((double)n / m) : m);
            sum += p * c;
            square += p * c * c;
        }
        double want_variance = square - sum * sum;
        double mean;
        double variance;
        xray_c_expected(&mean, &variance, &m, 1);
        snprintf(text, sizeof text, "expected C of a bin with %g counts", m);
        CHECK_NEAR(mean, sum, 1e-6 * sum, text);
        CHECK_NEAR(variance, want_variance, 1e-5 * want_variance + 1e-8, "and its variance");
    }
}

/* ==== simulation ================================================================================================== */

static void test_poisson(void) {
    static const double means[] = {0.3, 4, 9.99, 10.01, 37, 400, 1e4};
    int n = quick() ? 4000 : 100000;
    for (size_t k = 0; k < sizeof means / sizeof *means; k++) {
        double m = means[k];
        double sd = sqrt(m);
        double chi2 = 0;
        int lo = (int)fmax(0, floor(m - 3 * sd));
        int bins = 0;
        int size = (int)(6 * sd) + 4;
        int step = size / 40 + 1;
        int *seen = calloc((size_t)size + 2, sizeof *seen);
        for (int i = 0; i < n; i++) {
            double x = xray_poisson(&rng, m);
            int at = (int)x - lo + 1; /* 0: all below, size + 1: all above */
            seen[at < 0 ? 0 : at > size ? size + 1 : at]++;
        }
        for (int at = 0; at <= size + 1;) { /* merged until 20 are expected */
            double expected = 0;
            double got = 0;
            int from = at;
            for (; at <= size + 1 && (expected * n < 20 || at < from + step); at++) {
                if (at > 0 && at <= size)
                    expected += exp((lo + at - 1) * log(m) - m - lgamma((double)(lo + at)));
                else
                    for (int x = at ? lo + size : 0; x < (at ? lo + size + 400 + (int)(20 * sd) : lo); x++)
                        expected += exp(x * log(m) - m - lgamma(x + 1.0));
                got += seen[at];
            }
            if (expected * n < 5) continue; /* a remainder */
            chi2 += (got - expected * n) * (got - expected * n) / (expected * n);
            bins++;
        }
        free(seen);
        double p_value = bml_mcmc_chi2_survival(chi2, bins - 1);
        /* 7 means and 20 seeds: below 1e-5 once in 700 series of tests */
        CHECK(p_value > 1e-5, "Poisson numbers of mean %g: chi2 %.1f in %d bins, p = %.3g", m, chi2, bins, p_value);
    }
    CHECK(xray_poisson(&rng, 0) <= 0 && xray_poisson(&rng, -1) <= 0 && xray_poisson(&rng, (double)NAN) <= 0,
          "no counts of no mean");
}

/* ==== fits ======================================================================================================== */

static xray_fitter *make_fitter(xray_problem *p, const xray_model *m, xray_data *d, int n, int kind) {
    if (xray_problem_init(p, m, d, n, kind, err)) CHECK(0, "%s", err);
    return xray_fitter_make(p);
}

static void test_fit_exact(void) {
    static const double par[] = {0.2, 1.7, 1e-2, 0.7, 20};
    xray_binning b = {.e_lo = 0.4, .e_hi = 10, .how = XRAY_GROUP_NONE};
    xray_problem p;
    xray_model m;
    xray_data d;
    xray_best best;
    for (int kind = XRAY_C; kind <= XRAY_CHI2; kind += XRAY_CHI2) {
        double worst = 0;
        xray_model_parse(&m, "tbabs*(powerlaw+bbodyrad)", err);
        detector_data(&d, &m, par, &b, 1e4);
        xray_fitter *f = make_fitter(&p, &m, &d, 1, kind);
        xray_fit_starts(&best, f, 20, 3);
        for (int k = 0; k < 5; k++)
            worst = fmax(worst, fabs(best.theta[k] / par[k] - 1));
        CHECK_LE(worst, 1e-4, "a fit to the expected counts finds the truth"); /* the end: statistic below 1e-6 */
        CHECK(best.statistic < 1e-4 && best.converged && best.agree >= 1,
              "its statistic is %.2g, %d of 20 starts agree", best.statistic, best.agree);
        xray_fitter_free(f);
        xray_data_free(&d);
    }
}

/* One bin, one norm: the interval of C has a closed equation, 2 N (x - 1 - ln x) = delta with x = norm/best. */
static void test_interval(void) {
    static const double par[] = {2, 1e-2};
    xray_binning b = {.e_lo = 0.5, .e_hi = 10, .how = XRAY_GROUP_EVERY, .every = 1000};
    xray_model m;
    double root[2];
    xray_model_parse(&m, "powerlaw", err);
    b.how = XRAY_GROUP_MIN;
    b.counts = 1e30;
    xray_data d;
    detector_data(&d, &m, par, &b, 2);
    double n = d.counts[0];
    xray_problem p;
    xray_problem_init(&p, &m, &d, 1, XRAY_C, err);
    p.par[0].free = 0;
    p.par[0].value = 2;
    xray_fitter *f = xray_fitter_make(&p);
    xray_best best;
    xray_fit_starts(&best, f, 3, 1);
    CHECK(d.n == 1 && n > 5 && n < 100, "one bin of %.1f counts", n);
    CHECK_NEAR(best.theta[0], 1e-2, 1e-7, "the norm");
    CHECK_NEAR(best.sigma[0], 1e-2 / sqrt(n), 1e-2 * 1e-3, "its error by curvature, norm/sqrt(N)");
    double lo;
    double hi;
    CHECK(!xray_interval(&lo, &hi, f, &best, 0, 2.706), "an interval");
    double x;
    for (int side = 0; side < 2; side++) {
        double a = side ? 1 : 1e-9;
        double c = side ? 10 : 1;
        for (int i = 0; i < 200; i++) {
            x = 0.5 * (a + c);
            if ((2 * n * (x - 1 - log(x)) < 2.706) == (side == 1))
                a = x;
            else
                c = x;
        }
        root[side] = x;
    }
    /* the search ends within 1e-3 delta of the rise */
    CHECK_NEAR(lo / 1e-2, root[0], 2e-3, "lower end of the 90 % interval, against its equation");
    CHECK_NEAR(hi / 1e-2, root[1], 2e-3, "upper end");
    xray_fitter_free(f);
    xray_data_free(&d);
}

/* Pulls of many simulated spectra, and how often the interval holds the truth. */
static void test_coverage(void) {
    static const double par[] = {0.2, 1.7, 2e-3};
    xray_binning b = {.e_lo = 0.4, .e_hi = 10, .how = XRAY_GROUP_EVERY, .every = 3};
    int n = quick() ? 20 : 400;
    int inside = 0;
    double sum = 0;
    double square = 0;
    double below = 0;
    xray_model m;
    xray_model_parse(&m, "tbabs*powerlaw", err);
    xray_data d;
    detector_data(&d, &m, par, &b, 2000);
    double *truth;
    truth = xray_alloc((size_t)d.n, sizeof *truth);
    memcpy(truth, d.counts, (size_t)d.n * sizeof *truth);
    xray_problem p;
    xray_problem_init(&p, &m, &d, 1, XRAY_C, err);
    p.par[0].lo = 0;
    p.par[0].hi = 1;
    p.par[0].log = 0;
    p.par[2].lo = 1e-4;
    p.par[2].hi = 1e-1;
    xray_fitter *f = xray_fitter_make(&p);
    xray_best best;
    for (int s = 0; s < n; s++) {
        xray_fake(d.counts, truth, d.n, &rng);
        xray_fit_starts(&best, f, 1, 1);
        double pull = (best.theta[1] - par[1]) / best.sigma[1];
        sum += pull;
        square += pull * pull;
        double lo;
        double hi;
        if (!xray_interval(&lo, &hi, f, &best, 1, 1)) inside += lo <= par[1] && par[1] <= hi;
        below += best.statistic;
    }
    CHECK(fabs(sum / n) < 4 / sqrt(n) + 0.1,
          "pulls of the index, mean %.3f of %d (the estimate's own bias is below 0.1)", sum / n, n);
    CHECK(fabs(sqrt(square / n) - 1) < 4 / sqrt(2.0 * n) + 0.03, "pulls, standard deviation %.3f", sqrt(square / n));
    CHECK(fabs((double)inside / n - 0.683) < 4 * sqrt(0.683 * 0.317 / n) + 0.01,
          "68.3 %% intervals hold the truth %.1f %%", 100.0 * inside / n);
    {
        double mean;
        double variance;
        xray_c_expected(&mean, &variance, truth, d.n);
        CHECK_NEAR(below / n, mean - 3, 4 * sqrt(variance / n) + 1,
                   "mean C, the expected one less a unit per parameter");
    }
    memcpy(d.counts, truth, (size_t)d.n * sizeof *truth);
    xray_fit_starts(&best, f, 1, 1);
    CHECK(xray_goodness(f, &best, quick() ? 10 : 100, 5) <= 0,
          "goodness: nothing fits better than the expected counts");
    free(truth);
    xray_fitter_free(f);
    xray_data_free(&d);
}

static void test_several(void) {
    double one[] = {1, 0.2, 1.7, 1e-2};
    double two[] = {1.25, 0.2, 1.7, 1e-2};
    xray_binning b = {.e_lo = 0.4, .e_hi = 10, .how = XRAY_GROUP_NONE};
    xray_binning coarse = {.e_lo = 1, .e_hi = 8, .how = XRAY_GROUP_EVERY, .every = 4};
    xray_model m;
    xray_data d[2];
    xray_model_parse(&m, "constant*tbabs*powerlaw", err);
    detector_data(&d[0], &m, one, &b, 1e3);
    detector_data(&d[1], &m, two, &coarse, 3e3);
    xray_problem p;
    xray_problem_init(&p, &m, d, 2, XRAY_C, err);
    CHECK(!xray_problem_untie(&p, 0, err) && p.n_all == 5 && !strcmp(p.par[4].name, "constant.factor@2"),
          "a parameter of the second spectrum alone");
    int factor = xray_problem_find(&p, "factor@2");
    CHECK(factor == 4 && xray_problem_find(&p, "factor") == 0 && xray_problem_find(&p, "norm@2") == -1,
          "is found by its name");
    p.par[0].free = 0;
    p.par[0].value = 1;
    xray_fitter *f = xray_fitter_make(&p);
    xray_best best;
    xray_fit_starts(&best, f, 5, 1);
    CHECK(f->n_free == 4 && best.statistic < 1e-4, "two spectra fitted together: statistic %.2g", best.statistic);
    CHECK_NEAR(best.theta[3], 1.25, 1e-4, "the second spectrum's factor");
    CHECK_NEAR(best.theta[1], 1.7, 1e-4, "the common index");
    CHECK(xray_problem_init(&p, &m, d, 2, XRAY_W, err) == -1, "W without a background is refused: %s", err);
    xray_fitter_free(f);
    xray_data_free(&d[0]);
    xray_data_free(&d[1]);
}

/* Limits, parameters without effect, tied ones; the flux's own interval; components that can be exchanged. */
static double first_norm(xray_fitter *f, const double *theta, void *user) {
    double full[XRAY_MAX_PAR];
    xray_expand(full, f, 0, theta);
    return full[1] * *(const double *)user;
}

static void test_states(void) {
    static const double par[] = {2, 1e-2};
    xray_binning b = {.e_lo = 0.5, .e_hi = 10, .how = XRAY_GROUP_EVERY, .every = 5};
    char pair[2 * XRAY_NAME];
    double unit = 3;
    double lo;
    double hi;
    xray_model m;
    xray_model with;
    xray_data d;
    xray_problem p;
    xray_best best;
    xray_model_parse(&m, "powerlaw", err);
    detector_data(&d, &m, par, &b, 100);
    xray_model_parse(&with, "tbabs*(powerlaw+gaussian)", err);
    xray_fitter *f = make_fitter(&p, &with, &d, 1, XRAY_C);
    xray_fit_starts(&best, f, 10, 1);
    CHECK(best.state[0] == XRAY_AT_LOW && best.theta[0] <= 0 && isnan(best.sigma[0]),
          "no absorption in the counts: nH is at its limit, %g, without an error", best.theta[0]);
    CHECK(best.state[5] == XRAY_AT_LOW && best.theta[5] <= 0 && best.state[3] == XRAY_NO_EFFECT,
          "nor a line: its norm is %g, its energy without effect", best.theta[5]);
    CHECK_NEAR(best.theta[1], 2, 1e-3, "the index is the truth");
    xray_fitter_free(f);
    xray_problem_init(&p, &m, &d, 1, XRAY_C, err);
    p.par[0].free = 0;
    p.par[0].value = 2;
    f = xray_fitter_make(&p);
    xray_fit_starts(&best, f, 2, 1);
    xray_pull pull = {.of = first_norm, .user = &unit};
    xray_pull_interval(&lo, &hi, f, &pull, &best, 0.1, 1);
    double low;
    double high;
    xray_interval(&low, &high, f, &best, 0, 1);
    /* the pull's search ends within 1e-2 of the rise: 5e-3 of a sigma of 3 % */
    CHECK(fabs(lo / (3 * low) - 1) < 5e-4 && fabs(hi / (3 * high) - 1) < 5e-4,
          "a quantity that is 3 norms has 3 times their interval: %.5g to %.5g, %.5g to %.5g", lo, hi, 3 * low,
          3 * high);
    xray_fitter_free(f);
    xray_data_free(&d);
    xray_model_parse(&m, "powerlaw", err);
    detector_data(&d, &m, (double[]){2, 1e-20}, &b, 1e20);
    f = make_fitter(&p, &m, &d, 1, XRAY_C);
    xray_fit_starts(&best, f, 3, 1);
    CHECK(best.state[1] == XRAY_FINE && fabs(best.theta[1] / 1e-20 - 1) < 1e-4 && best.sigma[1] > 0,
          "a norm of 1e-20 is measured: %.4g +- %.2g", best.theta[1], best.sigma[1]);
    xray_fitter_free(f);
    xray_data_free(&d);
    xray_model_parse(&m, "tbabs*(powerlaw+po)", err);
    CHECK(xray_exchangeable(pair, &m) && !strcmp(pair, "powerlaw and powerlaw2"), "exchangeable: %s", pair);
    xray_model_parse(&m, "tbabs*powerlaw+powerlaw", err);
    CHECK(!xray_exchangeable(pair, &m), "one of them absorbed: not exchangeable");
    xray_model_parse(&m, "constant*tbabs*(po+bb)", err);
    CHECK(!xray_exchangeable(pair, &m) && !strcmp(m.par[4].name, "bbodyrad.kT"), "short names as in XSPEC");
    xray_problem_init(&p, &m, &d, 1, XRAY_CHI2, err);
    CHECK(!p.par[0].free && p.par[0].value >= 1 && p.par[0].value <= 1, "a constant is held at 1");
}

/* A source and its background, both with models: the truth is found; the background is not subtracted. */
static void test_dark(void) {
    static const double par[] = {0.2, 1.7, 1e-2};
    static const double dark_par[] = {0.5, 2e-3};
    xray_binning b = {.e_lo = 0.4, .e_hi = 10, .how = XRAY_GROUP_EVERY, .every = 2};
    xray_model m;
    xray_model dark;
    xray_data d[XRAY_MAX_DATA];
    xray_data back;
    xray_problem p;
    xray_best best;
    xray_model_parse(&m, "tbabs*powerlaw", err);
    xray_model_parse(&dark, "powerlaw", err);
    memset(d, 0, sizeof d);
    detector_data(&d[0], &m, par, &b, 3e3);
    detector_data(&back, &dark, dark_par, &b, 3e3);
    d[0].background = d[0].counts + d[0].n;
    for (int i = 0; i < d[0].n; i++) { /* a background region four times as large */
        d[0].background[i] = 4 * back.counts[i];
        d[0].ratio[i] = 0.25;
        d[0].counts[i] += back.counts[i];
    }
    xray_problem_init(&p, &m, d, 1, XRAY_C, err);
    CHECK(!xray_problem_dark(&p, 0, &dark, err) && p.n_data == 2 && xray_problem_find(&p, "back.powerlaw.norm") == 4,
          "a background gets a model %s", err);
    xray_fitter *f = xray_fitter_make(&p);
    xray_fit_starts(&best, f, 6, 1);
    CHECK(best.statistic < 1e-3 && best.converged, "both are fitted: %.2g", best.statistic);
    CHECK_NEAR(best.theta[1], 1.7, 1e-4, "the source's index");
    CHECK_NEAR(best.theta[3], 0.5, 1e-4, "the background's");
    CHECK_NEAR(best.theta[4] / (4 * dark_par[1]), 1, 1e-4, "its norm, of the larger region");
    CHECK(xray_problem_dark(&p, 0, &dark, err) == -1, "refused: %s", err);
    xray_fitter_free(f);
    xray_data_free(&back);
    xray_data_free(&d[0]);
}

/* ==== SSC in counts =============================================================================================== */

/* The detector with its energies multiplied, and its areas: an instrument for gamma rays. */
static void far_response(xray_response *r, double energy, double area) {
    detector_response(r, 1);
    for (int c = 0; c < N_C; c++) {
        r->e_min[c] *= energy;
        r->e_max[c] *= energy;
    }
    for (int i = 0; i < N_E; i++)
        r->area[i] *= area;
    for (int i = 0; i <= N_E; i++)
        r->edge[i] *= energy;
}

static const double mrk_par[] = {0.02, 16.3, -1.2, 3, 6, -4.6, 2.2, 1.3, 0.031}; /* nH, then those of ssc */

/* An X-ray spectrum, one of TeV gamma rays, and points in the optical and at GeV: expectations for a source like Mrk
   421. */
static void mrk_make(xray_data d[3], const xray_model *m, const double *par) {
    static const double kev[] = {2e-3, 3e-3, 5e-3, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7};
    enum { POINTS = 9 };
    xray_binning b[2] = {{.e_lo = 0.4, .e_hi = 10, .how = XRAY_GROUP_EVERY, .every = 3},
                         {.e_lo = 1e8, .e_hi = 1e10, .how = XRAY_GROUP_EVERY, .every = 10}};
    xray_point point[POINTS];
    double flux[POINTS];
    xray_work *w;
    for (int i = 0; i < 2; i++) {
        xray_response r;
        xray_pha p;
        far_response(&r, i ? 1e9 : 1, i ? 1e6 : 1);
        xray_pha_room(&p, N_C, 1, i ? 4e4 : 2000, err);
        if (xray_data_make(&d[i], &p, NULL, &r, &wilm, &b[i], err)) CHECK(0, "%s", err);
        w = xray_work_make(m, &d[i], 1);
        xray_fold_model(d[i].counts, &d[i], m, par, w);
        xray_work_free(w);
        xray_pha_free(&p);
        xray_response_free(&r);
    }
    for (int i = 0; i < POINTS; i++) {
        point[i].sigma_lo = point[i].sigma_hi = i < 3 ? 0.02 : 0.06;
        point[i].limit = 0;
        flux[i] = 1e-10;
    }
    if (xray_points_make(&d[2], "points", kev, flux, point, POINTS, &wilm, err)) CHECK(0, "%s", err);
    w = xray_work_make(m, &d[2], 1);
    xray_fold_model(d[2].counts, &d[2], m, par, w);
    xray_work_free(w);
}

/* The component against the solver asked directly, at flux points. */
static void ssc_against_solver(const xray_model *m, const double *par, double tolerance, const char *what) {
    static const double kev[] = {1e-9, 2e-3, 0.05, 1, 7.5, 60, 1e3, 1e6, 3e8, 1e9};
    enum { POINTS = 10 };
    xray_point point[POINTS];
    double flux[POINTS];
    double nu[POINTS];
    double want[POINTS];
    double worst = 0;
    char why[BML_SSC_MESSAGE];
    bml_ssc *tables = NULL;
    bml_ssc_blob *blob = NULL;
    bml_ssc_source source = {.R = 0};
    bml_ssc_observer observer = {.redshift = par[8], .delta = pow(10, par[7])};
    bml_ssc_source_from_row(&source, par + 1);
    for (int i = 0; i < POINTS; i++) {
        point[i].sigma_lo = point[i].sigma_hi = 0.1;
        point[i].limit = 0;
        flux[i] = 1e-10;
        nu[i] = kev[i] * xray_hz;
    }
    CHECK(!bml_ssc_create(&tables, NULL, why) && !bml_ssc_blob_create(&blob, tables, why) &&
              !bml_ssc_solve(blob, &source) && !bml_ssc_sed(want, nu, POINTS, blob, &observer, BML_SSC_TOTAL),
          "the solver, asked directly");
    xray_data d;
    xray_points_make(&d, "points", kev, flux, point, POINTS, &wilm, err);
    double bare[9];
    memcpy(bare, par, sizeof bare);
    bare[0] = 0;
    xray_work *w = xray_work_make(m, &d, 1);
    xray_fold_model(d.model, &d, m, bare, w);
    for (int i = 0; i < POINTS; i++)
        worst = fmax(worst, fabs(log10(d.model[i] / want[i])));
    CHECK_LE(worst, tolerance, what);
    xray_work_free(w);
    xray_data_free(&d);
    bml_ssc_blob_free(blob);
    bml_ssc_free(tables);
}

/* Fits of n simulated sources: shares of truths in the 68.3 % intervals over all parameters, mean of the statistic. */
static void ssc_coverage(const xray_model *m, int n) {
    xray_data d[3];
    xray_problem p;
    xray_best best;
    double *truth[3];
    double truths[XRAY_MAX_FREE];
    double statistic = 0;
    double far = 0;
    int inside = 0;
    int asked = 0;
    mrk_make(d, m, mrk_par);
    for (int i = 0; i < 3; i++) {
        truth[i] = xray_alloc((size_t)d[i].n, sizeof(double));
        for (int b = 0; b < d[i].n && truth[i]; b++)
            truth[i][b] = d[i].counts[b];
    }
    xray_problem_init(&p, m, d, 3, XRAY_C, err);
    for (int k = 1; k < 9; k++) {
        int held = k == 1 || k == 3 || k == 8; /* radius, gamma_min, redshift */
        p.par[k].free = !held;
        p.par[k].value = mrk_par[k];
    }
    xray_fitter *f = xray_fitter_make(&p);
    for (int k = 0; k < f->n_free; k++)
        truths[k] = mrk_par[f->free_par[k]];
    for (int s = 0; s < n; s++) {
        double u[XRAY_MAX_FREE];
        for (int i = 0; i < 2; i++)
            xray_fake(d[i].counts, truth[i], d[i].n, &rng);
        xray_fake_points(d[2].counts, truth[2], &d[2], &rng);
        xray_to_cube(u, f, truths);
        for (int k = 0; k < f->n_free; k++)
            u[k] = fmin(fmax(u[k] + uniform(-0.01, 0.01), 0), 1);
        xray_fit(&best, f, u, NULL);
        statistic += best.statistic / n;
        for (int k = 0; k < f->n_free; k++) {
            double lo;
            double hi;
            far = fmax(far, fabs(best.theta[k] - truths[k]) / best.sigma[k]);
            if (xray_interval(&lo, &hi, f, &best, k, 1)) continue;
            inside += lo <= truths[k] && truths[k] <= hi;
            asked++;
        }
    }
    double share = (double)inside / asked;
    int bins = d[0].n + d[1].n + d[2].n;
    /* parameters of one source are correlated: as if a third of them were independent */
    CHECK(fabs(share - 0.683) < 4 * sqrt(0.683 * 0.317 / (asked / 3.0)) + 0.02,
          "ssc in counts and points: of %d truths %.1f %% lie in their 68.3 %% intervals", asked, 100 * share);
    CHECK(fabs(statistic - (bins - f->n_free)) < 4 * sqrt(2.2 * bins / n) + 0.02 * bins,
          "their mean statistic is %.1f in %d bins with %d parameters", statistic, bins, f->n_free);
    CHECK_LE(far, 5, "the furthest parameter, in its errors");
    for (int i = 0; i < 3; i++) {
        free(truth[i]);
        xray_data_free(&d[i]);
    }
    xray_fitter_free(f);
}

static void test_ssc(void) {
    xray_library library = {0};
    xray_library by_net = {0};
    xray_ssc *ssc;
    xray_ssc *net;
    xray_model m;
    if (xray_ssc_create(&ssc, NULL, 1, err)) {
        CHECK(0, "%s", err);
        return;
    }
    library.extra[library.n++] = xray_ssc_extra(ssc);
    CHECK(!xray_model_parse_with(&m, "tbabs*ssc", &library, err) && m.n_par == 9 &&
              !strcmp(m.par[1].name, "ssc.log_R") && m.par[8].fixed,
          "ssc is a component; its redshift is held %s", err);
    /* cubics through 40 points a decade: 1e-5 where the curve is smooth; at the ends of the components it bends */
    ssc_against_solver(&m, mrk_par, 2e-3, "ssc at ten energies from radio to TeV, against the solver [dex]");
    const int longer = getenv("BML_CHECK_LONG") != NULL;
    if (quick() == 0 || longer) ssc_coverage(&m, longer ? 50 : 1);
    CHECK(xray_ssc_create(&net, "nowhere.safetensors", 1, err) == -1 && !net, "refused: %s", err);
    if (!xray_ssc_create(&net, "examples/models/ssc.safetensors", 1, err)) {
        xray_model by;
        by_net.extra[by_net.n++] = xray_ssc_extra(net);
        xray_model_parse_with(&by, "tbabs*ssc", &by_net, err);
        ssc_against_solver(&by, mrk_par, 0.03, "by the network, against the solver [dex]");
        ssc_coverage(&by, longer ? 50 : 8);
        xray_ssc_free(net);
    } else {
        CHECK(0, "%s", err);
    }
    xray_ssc_free(ssc);
}

/* ==== networks: mixtures and resampling =========================================================================== */

static void test_probit(void) {
    double worst = 0;
    for (int i = 0; i < 2000; i++) {
        double p = i < 1000 ? exp(-0.5 * i) : uniform(0, 1);
        double x = xray_probit(p);
        if (p < 1e-200) continue;
        worst = fmax(worst, fabs(xray_normal_cdf(x) / p - 1));
    }
    /* rounding of x, 1e-16 |x|, times the slope of ln p, |x|: 30^2 1e-16 */
    CHECK_LE(worst, 1e-12, "normal distribution of its inverse, relative");
}

/* A random row as a network gives it: k components over d dimensions. */
static void random_row(bml_nn_real *row, int k, int d) {
    for (int c = 0; c < k; c++) {
        for (int i = 0; i < 1 + d; i++)
            *row++ = (bml_nn_real)uniform(-1, 1);
        for (int i = 0; i < d; i++)
            for (int j = 0; j <= i; j++)
                *row++ = (bml_nn_real)uniform(-0.5, 0.5);
    }
}

static void test_mixture(void) {
    enum { K = 3, D = 3, SIZE = 1 + D + D * (D + 1) / 2, ROWS = 4 };
    static bml_nn_real row[ROWS * K * SIZE];
    static bml_nn_real target[ROWS * K * SIZE];
    static bml_nn_real gradient[ROWS * K * SIZE];
    static bml_nn_real ignored[ROWS * K * SIZE];
    int kd[2] = {K, D};
    int n = quick() ? 20000 : 200000;
    bml_nn_batch b = {
        .gradient = gradient, .prediction = row, .target = target, .n = ROWS, .n_in = 1, .n_out = K * SIZE};
    double worst = 0;
    double direct = 0;
    double sum = 0;
    double mean[D] = {0};
    double want[D] = {0};
    double weight = 0;
    for (int r = 0; r < ROWS; r++) {
        random_row(row + r * K * SIZE, K, D);
        for (int i = 0; i < D; i++)
            target[r * K * SIZE + i] = (bml_nn_real)uniform(-2, 2);
    }
    double loss = xray_mixture_loss(&b, kd);
    xray_mixture m;
    for (int r = 0; r < ROWS; r++) {
        double z[D];
        for (int i = 0; i < D; i++)
            z[i] = (double)target[r * K * SIZE + i];
        xray_mixture_from(&m, row + r * K * SIZE, K, D, 1);
        direct -= xray_mixture_log(&m, z) / ROWS;
    }
    CHECK_NEAR(loss, direct, 1e-9, "mixture: the loss is the mean -ln q");
    b.gradient = ignored;
    for (int i = 0; i < ROWS * K * SIZE;
         i++) { /* numbers are floats: step 2^-8, error of the difference step^2/6 times third
                                                   derivatives of a few units, and rounding 1e-16/step */
        bml_nn_real keep = row[i];
        double h = 1.0 / 256;
        row[i] = (bml_nn_real)((double)keep + h);
        double up = xray_mixture_loss(&b, kd);
        h += (double)row[i] - (double)keep - h;
        row[i] = (bml_nn_real)((double)keep - 1.0 / 256);
        double down = xray_mixture_loss(&b, kd);
        worst = fmax(worst, fabs((up - down) / (h + (double)keep - (double)row[i]) - (double)gradient[i]));
        row[i] = keep;
    }
    CHECK_LE(worst, 1e-3, "its gradient, against differences");
    xray_mixture_from(&m, row, K, D, 1);
    for (int i = 0; i < n; i++) { /* importance sampling from a wide normal: the integral of q is 1 */
        double z[D];
        double log_p = 0;
        for (int k = 0; k < D; k++) {
            double e = bml_mcmc_rng_normal(&rng);
            z[k] = 3 * e;
            log_p -= 0.5 * e * e + 0.91893853320467274 + log(3.0);
        }
        weight = exp(xray_mixture_log(&m, z) - log_p);
        sum += weight / n;
        for (int k = 0; k < D; k++)
            want[k] += weight * z[k] / n;
        xray_mixture_draw(z, &m, 1, &rng);
        for (int k = 0; k < D; k++)
            mean[k] += z[k] / n;
    }
    CHECK_NEAR(sum, 1, 12 / sqrt(n), "its density integrates to 1"); /* weights have a variance of a few units */
    for (int k = 0; k < D; k++)
        CHECK_NEAR(mean[k], want[k], 25 / sqrt(n), "its draws have its mean");
}

typedef struct normal_target {
    int d;
    double scale, shift;
} normal_target;

/* 10 times a normal density with mean shift, sd scale^(k+1) along each axis, correlated by neighbours. */
static void log_normal_target(double *out, const double *z, int n, int d, void *user) {
    const normal_target *t = user;
    for (int i = 0; i < n; i++) {
        double s = 0;
        double log_det = 0;
        double before = 0;
        for (int k = 0; k < d; k++) {
            double sd = t->scale * (k + 1);
            double y = (z[i * d + k] - t->shift - 0.8 * before) / sd;
            before = z[i * d + k] - t->shift;
            s += y * y;
            log_det += log(sd);
        }
        out[i] = log(10.0) - 0.5 * s - log_det - 0.91893853320467274 * d;
    }
}

static void test_resample(void) {
    enum { D = 4, DRAWS = 4000 };
    static const double scale[] = {0.5, 0.05, 0.01};
    static const double shift[] = {0.1, 0.3, 0.1};
    bml_nn_real row[1 + D + D * (D + 1) / 2] = {0};
    xray_mixture m;
    xray_mixture_from(&m, row, 1, D, 1); /* a standard normal: as wide as the prior */
    for (int t = 0; t < 3; t++) {
        normal_target target = {D, scale[t], shift[t]};
        double *z = xray_alloc(DRAWS, D * sizeof *z);
        double mean[D] = {0};
        double variance = 0;
        xray_resampled r;
        xray_resampling how = {
            .enough = 3000, .target = log_normal_target, .user = &target, .seed = (uint64_t)uniform(0, 1e9)};
        if (xray_resample(&r, &m, NULL, &how, err)) {
            CHECK(0, "%s", err);
            free(z);
            continue;
        }
        xray_resampled_draw(z, &r, DRAWS, 1);
        for (int i = 0; i < DRAWS; i++)
            for (int k = 0; k < D; k++)
                mean[k] += z[i * D + k] / DRAWS;
        for (int i = 0; i < DRAWS; i++)
            variance += pow(z[i * D] - mean[0], 2) / DRAWS;
        CHECK_NEAR(r.log_z, log(10.0), 5 * r.log_z_error + 0.01, "resampling: ln Z of a normal target");
        CHECK_NEAR(mean[0], shift[t], 5 * scale[t] / sqrt(r.ess) + 1e-9, "its mean");
        CHECK_NEAR(sqrt(variance) / scale[t], 1, 5 / sqrt(r.ess), "its width");
        CHECK(r.ess > (t < 2 ? 1500 : 200), "effective samples %.0f of %d; of the first proposal %.2g", r.ess, r.n,
              r.ess_net);
        free(z);
        xray_resampled_free(&r);
    }
}

/* Half the weight at z_0 = -1.5, half at 1.5, sd 0.1 along every axis. */
static void log_two_modes(double *out, const double *z, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++) {
        double side = z[i * d] < 0 ? -1.5 : 1.5;
        double s = pow((z[i * d] - side) / 0.1, 2);
        for (int k = 1; k < d; k++)
            s += pow(z[i * d + k] / 0.1, 2);
        out[i] = -log(2.0) - 0.5 * s - d * (log(0.1) + 0.91893853320467274);
    }
}

/* A network that is sure and wrong, by 20 of its own sd, and a posterior of two parts. */
static void test_resample_hard(void) {
    enum { D = 3 };
    bml_nn_real row[1 + D + D * (D + 1) / 2] = {0};
    normal_target target = {D, 0.3, -0.5};
    xray_resampling how = {.target = log_normal_target, .user = &target, .seed = (uint64_t)uniform(0, 1e9)};
    xray_resampled r = {.n = 0};
    double mean = 0;
    for (int i = 0, at = 1 + D; i < D; i++) {
        row[1 + i] = 0.5f;
        for (int j = 0; j <= i; j++, at++)
            row[at] = j == i ? 3.0f : 0; /* sd exp(-3) = 0.05 */
    }
    xray_mixture m;
    xray_mixture_from(&m, row, 1, D, 1);
    int bad = xray_resample(&r, &m, NULL, &how, err);
    CHECK(!bad && r.ess > 1000, "a network that is sure and wrong: %.0f", r.ess);
    for (int i = 0; i < r.n; i++)
        mean += r.weight[i] * r.z[i * D];
    CHECK_NEAR(r.log_z, log(10.0), 5 * r.log_z_error + 0.01, "its ln Z");
    CHECK_NEAR(mean, -0.5, 5 * 0.3 / sqrt(r.ess), "its mean");
    xray_resampled_free(&r);
    memset(row, 0, sizeof row);
    xray_mixture_from(&m, row, 1, D, 1);
    how.target = log_two_modes;
    bad = xray_resample(&r, &m, NULL, &how, err);
    CHECK(!bad && r.ess > 1000, "two modes: %.0f effective samples", r.ess);
    mean = 0;
    for (int i = 0; i < r.n; i++)
        mean += r.weight[i] * (r.z[i * D] > 0);
    CHECK_NEAR(r.log_z, 0, 5 * r.log_z_error + 0.01, "their ln Z");
    CHECK_NEAR(mean, 0.5, 5 * 0.5 / sqrt(r.ess), "their shares");
    xray_resampled_free(&r);
}

/* A network whose means are off by half its width, in a way that depends on the spectrum, and whose widths are 1.6
   times too small: adjusting and calibrating mend both, on rows that they have not seen. */
static void test_adjust(void) {
    enum { D = 2, BINS = 6, N = 4000 };
    xray_net net;
    bml_nn_real *x = xray_alloc(2 * N, 2 * BINS * sizeof *x);
    float *u = xray_alloc(2 * N, D * sizeof *u);
    int inside[D] = {0};
    if (!x || !u || xray_net_make(&net, XRAY_MLP, BINS, D, 8, 2, 0, 1, (uint64_t)uniform(0, 1e9), err)) {
        CHECK(0, "a network: %s", err);
        return;
    }
    int n_out = (int)bml_nn_n_out(net.nn);
    bml_nn_real *out;
    out = xray_alloc(2 * N, (size_t)n_out * sizeof *out);
    for (int i = 0; i < 2 * N * 2 * BINS; i++)
        x[i] = (bml_nn_real)uniform(-1, 1);
    bml_nn_predict(net.nn, NULL, out, x, 2 * N);
    for (int i = 0; i < 2 * N; i++) {
        xray_mixture m;
        double z[D] = {0};
        double sd[XRAY_MAX_K][XRAY_MAX_FREE];
        xray_net_mixture_of(&m, &net, out + i * n_out);
        xray_mixture_sd(sd, &m);
        xray_mixture_draw(z, &m, 1.6, &rng);
        for (int k = 0; k < D; k++)
            u[i * D + k] = (float)xray_normal_cdf(z[k] + 0.5 * sd[0][k] * (1 + xray_normal_cdf(m.mean[0][0])));
    }
    CHECK(!xray_net_adjust(&net, x, u, N, err) && !xray_net_calibrate(&net, x, u, N, err), "a network is adjusted");
    bml_nn_predict(net.nn, NULL, out, x, 2 * N);
    for (int i = N; i < 2 * N; i++) {
        xray_mixture m;
        double sd[XRAY_MAX_K][XRAY_MAX_FREE];
        xray_net_mixture_of(&m, &net, out + i * n_out);
        xray_mixture_sd(sd, &m);
        double mean;
        double variance;
        double below;
        for (int k = 0; k < D; k++) {
            xray_mixture_marginal(&mean, &variance, &below, &m, sd, k, xray_probit((double)u[i * D + k]));
            inside[k] += fabs(below - 0.5) < 0.3415;
        }
    }
    for (int k = 0; k < D; k++) /* binomial noise of the rows counted here, and of those that set the widths */
        CHECK_NEAR((double)inside[k] / N, 0.683, 5 * sqrt(2 * 0.683 * 0.317 / N), "truths in its 68.3 %% interval");
    free(x);
    free(u);
    free(out);
    xray_net_free(&net);
}

/* Resampling is right whatever the network says: here one that has learnt nothing. */
static void test_judge(void) {
    int n = quick() ? 4 : getenv("BML_CHECK_LONG") ? 500 : 40;
    int wrong = 0;
    int *rank = xray_alloc((size_t)n, sizeof *rank);
    static const double par[] = {0.2, 1.7, 2e-3};
    static const char lines[] = "nH,uniform,0,1\nPhoIndex,uniform,1,3\nnorm,loguniform,1e-3,1e-1\n";
    xray_binning b = {.e_lo = 0.4, .e_hi = 10, .how = XRAY_GROUP_EVERY, .every = 5};
    xray_verdict *v = xray_alloc((size_t)n, sizeof *v);
    bml_mcmc_prior_param param[3];
    bml_mcmc_prior *prior = NULL;
    xray_problem p;
    xray_model m;
    xray_net net;
    xray_set set;
    xray_judging g = {&net, &p, NULL, &set, 0, 1, 10000, (uint64_t)uniform(0, 1e9)};
    xray_model_parse(&m, "tbabs*powerlaw", err);
    xray_data d;
    detector_data(&d, &m, par, &b, 300);
    xray_problem_init(&p, &m, &d, 1, XRAY_C, err);
    memset(param, 0, sizeof param);
    prior_file file;
    prior_read_memory(&file, lines, strlen(lines), "lines", err);
    for (int k = 0; k < 3; k++) {
        PRIOR_PARAM(&param[k], &file.row[k]);
        p.par[k].lo = file.row[k].lower;
        p.par[k].hi = file.row[k].upper;
        p.par[k].log = k == 2;
    }
    xray_fitter *f = xray_fitter_make(&p);
    if (bml_mcmc_prior_create(&prior, param, 3, NULL) || xray_set_make(&set, (size_t)n, 0, &f, 1, prior, g.seed, err) ||
        xray_net_make(&net, XRAY_MLP, d.n, 3, 8, 1, 0, 1, 1, err))
        CHECK(0, "judging: %s", err);
    g.prior = prior;
    CHECK(!xray_judge(v, &g, n, 1), "spectra are judged");
    for (int k = 0; k < 3; k++) {
        xray_score s;
        xray_judge_score(&s, v, rank, n, XRAY_RESAMPLED, k);
        CHECK(s.rank_p > 1e-4, "resampled: ranks are uniform (p = %.2g)", s.rank_p);
        CHECK_NEAR(s.coverage[1], 0.68, 4.5 * sqrt(0.68 * 0.32 / n), "resampled: truths in the 68 %% interval");
    }
    for (int i = 0; i < n; i++)
        wrong += v[i].excess_net > 25;
    CHECK(wrong == 0, "fits from its draws end at least as low as the truth: %d of %d do not", wrong, n);
    xray_set_free(&set);
    xray_net_free(&net);
    bml_mcmc_prior_free(prior);
    prior_free(&file);
    xray_fitter_free(f);
    xray_data_free(&d);
    free(v);
    free(rank);
}

/* Truths uniform on 0...1 and normal errors of standard deviation s: n times the variance of R^2 is
   (Var(error^2) + q^2 Var((truth - 1/2)^2))/V^2, with V = 1/12, q = s^2/V, Var(error^2) = 2 s^4 and
   Var((truth - 1/2)^2) = 1/80 - 1/144. Two independent parameters: half of it for their mean. The relative error of
   such a standard deviation is sqrt((kurtosis - 1)/(4 n)) at most, with 15, the kurtosis of a squared normal number. */
static void test_r2_error(void) {
    enum { N = 5000 };
    const double s = 0.1;
    const double V = 1.0 / 12;
    const double q = s * s / V;
    const double near = sqrt(14.0 / (4 * N));
    const double expect = sqrt((2 * s * s * s * s + q * q * (1.0 / 80 - 1.0 / 144)) / N) / V;
    xray_verdict *v = xray_alloc(N, sizeof *v);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < 2; k++) {
            v[i].truth[k] = uniform(0, 1);
            v[i].mean[XRAY_NETWORK][k] = v[i].truth[k] + s * bml_mcmc_rng_normal(&rng);
        }
    CHECK_NEAR(xray_judge_r2_error(v, N, XRAY_NETWORK, 0, 1), expect, 5 * near * expect, "error of R^2");
    double expect_two = expect / sqrt(2.0);
    CHECK_NEAR(xray_judge_r2_error(v, N, XRAY_NETWORK, 0, 2), expect_two, 5 * near * expect_two, "of a mean of two");
    xray_score score;
    int rank[N];
    xray_judge_score(&score, v, rank, 1, XRAY_NETWORK, 0);
    CHECK(isnan(score.r2) && isnan(score.promised), "one spectrum has no R^2, promised or not");
    CHECK(isnan(xray_judge_r2_error(v, 1, XRAY_NETWORK, 0, 2)), "nor an error of it");
    for (int i = 0; i < N; i++)
        v[i].truth[0] = 0.3;
    xray_judge_score(&score, v, rank, N, XRAY_NETWORK, 0);
    CHECK(isnan(score.r2) && isnan(score.promised), "nor have truths that are all equal");
    xray_judge_score(&score, v, rank, N, XRAY_NETWORK, 1);
    CHECK_NEAR(score.r2, 1 - q, 5 * expect, "those that vary have");
    free(v);
}

static void test_distance(void) {
    enum { N = 20000 };
    double *a = xray_alloc(N, 2 * sizeof *a);
    double *b = a + N;
    for (int i = 0; i < N; i++) {
        a[i] = bml_mcmc_rng_normal(&rng);
        b[i] = bml_mcmc_rng_normal(&rng);
    }
    CHECK(xray_jensen_shannon(a, N, a, N) <= 0, "a sample is at no distance from itself");
    /* two samples of one law: chi2 of 39 degrees of freedom times 1/(8 N) (1/N + 1/N summed): 39/(4 N) */
    CHECK_NEAR(xray_jensen_shannon(a, N, b, N), 39.0 / (4 * N), 6 * sqrt(2 * 39.0) / (4 * N), "two of one law");
    for (int i = 0; i < N; i++)
        b[i] += 100;
    CHECK_NEAR(xray_jensen_shannon(a, N, b, N), log(2.0), 1e-9, "samples that do not meet: ln 2");
    free(a);
}

/* A network file goes round; one that is none is refused. */
static void test_net_file(void) {
    static const double par[] = {2, 1e-2};
    char path[] = "/tmp/test_xray_net_XXXXXX";
    xray_binning b = {.how = XRAY_GROUP_EVERY, .every = 10};
    double z[2][40];
    int fd = mkstemp(path);
    if (fd < 0) return;
    close(fd);
    xray_model m;
    xray_model_parse(&m, "powerlaw", err);
    xray_data d;
    detector_data(&d, &m, par, &b, 100);
    xray_net net;
    CHECK(!xray_net_make(&net, XRAY_MLP, d.n, 2, 16, 2, 0, 2, 1, err) &&
              !xray_net_describe(&net, &d, "powerlaw", "PhoIndex,uniform,1,3\n", "", XRAY_C, XRAY_ANGR, err) &&
              !bml_nn_save(net.nn, path, BML_NN_F32),
          "a network is written");
    xray_net back;
    CHECK(!xray_net_read(&back, path, err) && back.n_bin == d.n && back.k == 2 && back.d == 2 && back.mixture &&
              back.n_channel == N_C && !memcmp(back.bin, d.bin, N_C * sizeof(int)) && !strcmp(back.model, "powerlaw") &&
              back.abundance == XRAY_ANGR && fabs(back.exposure - 100) < 1e-5,
          "and read, with all that it says of itself");
    xray_mixture mix;
    CHECK(!xray_net_draw(z[0], &mix, &net, NULL, d.counts, 20, 3, err) &&
              !xray_net_draw(z[1], &mix, &back, NULL, d.counts, 20, 3, err) && !memcmp(z[0], z[1], sizeof z[0]),
          "both give the same draws");
    xray_net_free(&back);
    xray_net_free(&net);
    FILE *f = fopen(path, "wb");
    if (f) {
        fputs("no network", f);
        fclose(f);
    }
    CHECK(xray_net_read(&back, path, err) == -1 && strstr(err, path), "refused: %s", err);
    xray_data_free(&d);
    remove(path);
}

/* ==== OGIP files ================================================================================================== */

#ifdef BML_XRAY_USE_CFITSIO
static char folder[PATH_SIZE - 64];

static const char *file(const char *name) {
    static char path[4][PATH_SIZE];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

enum { SCALAR, FIXED, VARIABLE };

/* The matrix extension: one group (SCALAR), two in fixed vectors, or variable-length columns. tlmin -1: no such key. */
static void write_matrix(fitsfile *f, int form, const char *name, int first, int tlmin, int *status) {
    static const char *const forms[3][3] = {{"I", "I", "200E"}, {"2J", "2J", "200E"}, {"1PI(2)", "1PI(2)", "1PE(200)"}};
    char *type[] = {"ENERG_LO", "ENERG_HI", "N_GRP", "F_CHAN", "N_CHAN", "MATRIX"};
    char *tform[] = {"D", "D", "I", NULL, NULL, NULL};
    char *unit[] = {"keV", "keV", "", "", "", ""};
    char copy[3][16];
    char title[40];
    for (int k = 0; k < 3; k++) {
        snprintf(copy[k], sizeof copy[k], "%s", forms[form][k]);
        tform[3 + k] = copy[k];
    }
    snprintf(title, sizeof title, "%s", name);
    fits_create_tbl(f, BINARY_TBL, N_E, 6, type, tform, unit, title, status);
    fits_write_key(f, TSTRING, "HDUCLAS1", (char[]){"RESPONSE"}, NULL, status);
    fits_write_key(f, TSTRING, "HDUCLAS2", (char[]){"RSP_MATRIX"}, NULL, status);
    fits_write_key(f, TSTRING, "HDUCLAS3", (char[]){"REDIST"}, NULL, status);
    if (tlmin >= 0) fits_write_key(f, TINT, "TLMIN4", &tlmin, NULL, status);
    for (int i = 0; i < N_E; i++) {
        double lo = detector_edge(i);
        double hi = detector_edge(i + 1);
        int n = 0;
        int begin[2] = {0, 0};
        int count[2] = {0, 0};
        int used = 0;
        float row[N_C];
        for (int c = 0; c < N_C; c++) {
            if (!(detector[i][c] > 0)) continue;
            if (n == 0 || (form != SCALAR && c > begin[n - 1] + count[n - 1])) begin[n++] = c;
            count[n - 1] = c + 1 - begin[n - 1];
        }
        for (int k = 0; k < n; k++)
            for (int c = 0; c < count[k]; c++)
                row[used++] = (float)detector[i][begin[k] + c];
        for (int k = 0; k < n; k++)
            begin[k] += first;
        fits_write_col(f, TDOUBLE, 1, i + 1, 1, 1, &lo, status);
        fits_write_col(f, TDOUBLE, 2, i + 1, 1, 1, &hi, status);
        fits_write_col(f, TINT, 3, i + 1, 1, 1, &n, status);
        if (n) fits_write_col(f, TINT, 4, i + 1, 1, n, begin, status);
        if (n) fits_write_col(f, TINT, 5, i + 1, 1, n, count, status);
        if (used) fits_write_col(f, TFLOAT, 6, i + 1, 1, used, row, status);
    }
}

static void write_rmf(const char *path, int form, const char *name, int first, int tlmin) {
    char *type[] = {"CHANNEL", "E_MIN", "E_MAX"};
    char *tform[] = {"J", "D", "D"};
    char *unit[] = {"", "keV", "keV"};
    char over[PATH_SIZE + 2];
    fitsfile *f = NULL;
    int status = 0;
    snprintf(over, sizeof over, "!%s", path);
    fits_create_file(&f, over, &status);
    write_matrix(f, form, name, first, tlmin, &status);
    fits_create_tbl(f, BINARY_TBL, N_C, 3, type, tform, unit, "EBOUNDS", &status);
    for (int c = 0; c < N_C; c++) {
        int channel = c + first;
        double lo = channel_edge(c);
        double hi = channel_edge(c + 1);
        fits_write_col(f, TINT, 1, c + 1, 1, 1, &channel, &status);
        fits_write_col(f, TDOUBLE, 2, c + 1, 1, 1, &lo, &status);
        fits_write_col(f, TDOUBLE, 3, c + 1, 1, 1, &hi, &status);
    }
    fits_close_file(f, &status);
    if (status) CHECK(0, "writing %s: FITS status %d", path, status);
}

static void write_arf(const char *path, int n, double stretch) {
    char *type[] = {"ENERG_LO", "ENERG_HI", "SPECRESP"};
    char *tform[] = {"E", "E", "E"};
    char *unit[] = {"keV", "keV", "cm**2"};
    char over[PATH_SIZE + 2];
    fitsfile *f = NULL;
    int status = 0;
    snprintf(over, sizeof over, "!%s", path);
    fits_create_file(&f, over, &status);
    fits_create_tbl(f, BINARY_TBL, n, 3, type, tform, unit, "SPECRESP", &status);
    for (int i = 0; i < n; i++) {
        double lo = stretch * detector_edge(i);
        double hi = stretch * detector_edge(i + 1);
        fits_write_col(f, TDOUBLE, 1, i + 1, 1, 1, &lo, &status);
        fits_write_col(f, TDOUBLE, 2, i + 1, 1, 1, &hi, &status);
        fits_write_col(f, TDOUBLE, 3, i + 1, 1, 1, &detector_area[i], &status);
    }
    fits_close_file(f, &status);
    if (status) CHECK(0, "writing %s: FITS status %d", path, status);
}

/* Counts 3 c mod 17, grouped by twos, channels 10 and 11 bad. */
static void write_pha(const char *path, int first, double exposure, double back_scale, const char *background) {
    xray_pha p;
    fitsfile *f = NULL;
    int status = 0;
    int column = 0;
    if (xray_pha_room(&p, N_C, first, fabs(exposure), err)) CHECK(0, "%s", err);
    p.grouping = calloc(N_C, sizeof(int));
    for (int c = 0; c < N_C; c++) {
        p.counts[c] = 3 * c % 17;
        p.grouping[c] = c % 2 ? -1 : 1;
    }
    if (xray_pha_write(&p, path, "d.rmf", "d.arf", err)) CHECK(0, "%s", err);
    xray_pha_free(&p);
    fits_open_diskfile(&f, path, READWRITE, &status);
    fits_movabs_hdu(f, 2, NULL, &status);
    fits_update_key(f, TDOUBLE, "EXPOSURE", &exposure, NULL, &status);
    fits_update_key(f, TDOUBLE, "BACKSCAL", &back_scale, NULL, &status);
    fits_update_key(f, TSTRING, "BACKFILE", (char *)(uintptr_t)background, NULL, &status);
    fits_insert_col(f, 4, (char[]){"QUALITY"}, (char[]){"I"}, &status);
    fits_get_colnum(f, CASEINSEN, (char[]){"QUALITY"}, &column, &status);
    for (int c = 0; c < N_C; c++) {
        int bad = c == 10 || c == 11 ? 2 : 0;
        fits_write_col(f, TINT, column, c + 1, 1, 1, &bad, &status);
    }
    fits_close_file(f, &status);
    if (status) CHECK(0, "writing %s: FITS status %d", path, status);
}

static void test_responses(void) {
    static const char *const forms[] = {"one group in scalars", "fixed vectors", "variable length"};
    for (int form = SCALAR; form <= VARIABLE; form++)
        for (int first = 0; first < 2; first++)
            for (int key = 0; key < 2; key++) {
                double worst = 0;
                double area = 0;
                static double dense[N_C];
                const char *name = key ? "MATRIX" : "SPECRESP MATRIX";
                write_rmf(file("d.rmf"), form, name, first, key ? first : -1);
                write_arf(file("d.arf"), N_E, 1);
                xray_response r;
                if (xray_response_read(&r, file("d.rmf"), file("d.arf"), err)) {
                    CHECK(0, "%s", err);
                    continue;
                }
                for (int i = 0; i < N_E; i++) {
                    memset(dense, 0, sizeof dense);
                    for (int s = r.row[i]; s < r.row[i + 1]; s++)
                        for (int k = 0; k < r.span[s].count; k++)
                            dense[r.span[s].channel + k] += (double)r.matrix[r.span[s].at + (size_t)k];
                    for (int c = 0; c < N_C; c++)
                        worst = fmax(worst, fabs(dense[c] - detector[i][c]));
                    area = fmax(area, fabs(r.area[i] / detector_area[i] - 1));
                }
                CHECK(worst <= 0 && area < 1e-6 && r.first_channel == first && r.n_channel == N_C,
                      "RMF in %s, extension %s, channels from %d, %s: as written", forms[form], name, first,
                      key ? "TLMIN" : "no TLMIN");
                xray_response_free(&r);
            }
}

/* Sums of bins by hand, and W's ratio. */
static void test_spectra(void) {
    xray_binning b = {.e_lo = 0.5, .e_hi = 5};
    xray_files none = {NULL, NULL, "none"};
    int wrong = 0;
    write_rmf(file("d.rmf"), VARIABLE, "MATRIX", 1, 1);
    write_arf(file("d.arf"), N_E, 1);
    write_pha(file("d.pha"), 1, 500, 2, "b.pha");
    write_pha(file("b.pha"), 1, 1000, 8, "none");
    xray_data d;
    if (xray_data_read(&d, file("d.pha"), NULL, &wilm, &b, err)) {
        CHECK(0, "%s", err);
        return;
    }
    /* bins of channels (2k, 2k+1), from 0.1 + 0.12 k to 0.22 + 0.12 k: inside 0.5 ... 5 are k = 4 ... 39, but 5 is bad
       */
    for (int k = 4, at = 0; k <= 39; k++) {
        double want = 6 * k % 17 + (6 * k + 3) % 17;
        if (k == 5) continue;
        wrong += at >= d.n || fabs(d.counts[at] - want) > 0 || fabs(d.background[at] - want) > 0 ||
                 fabs(d.ratio[at] - 0.125) > 1e-12 || fabs(d.e_lo[at] - (0.1 + 0.12 * k)) > 1e-9 ||
                 fabs(d.variance[at] - fmax(want, 1) - want / 64) > 1e-9;
        at++;
    }
    CHECK(d.n == 35 && !wrong, "PHA: grouping, quality, energy range, background and its scale: %d bins, %d wrong", d.n,
          wrong);
    xray_data_free(&d);
    b.keep_bad = 1;
    b.systematic = 0.1;
    CHECK(!xray_data_read(&d, file("d.pha"), &none, &wilm, &b, err) && d.n == 36 && !d.background,
          "bad channels kept, background not");
    CHECK_NEAR(d.variance[0], d.counts[0] + 0.01 * d.counts[0] * d.counts[0], 1e-9,
               "variance with a systematic error of 10 %");
    xray_data_free(&d);
}

/* Changes a key of an extension; NULL text: a number. */
static void change(const char *path, int hdu, const char *key, const char *text, double number) {
    fitsfile *f = NULL;
    int status = 0;
    fits_open_diskfile(&f, path, READWRITE, &status);
    fits_movabs_hdu(f, hdu, NULL, &status);
    if (text)
        fits_update_key(f, TSTRING, key, (char *)(uintptr_t)text, NULL, &status);
    else
        fits_update_key(f, TDOUBLE, key, &number, NULL, &status);
    fits_close_file(f, &status);
    if (status) CHECK(0, "changing %s: FITS status %d", path, status);
}

static void set_cell(const char *path, int hdu, const char *column, long row, double number) {
    fitsfile *f = NULL;
    int status = 0;
    int c = 0;
    fits_open_diskfile(&f, path, READWRITE, &status);
    fits_movabs_hdu(f, hdu, NULL, &status);
    fits_get_colnum(f, CASEINSEN, (char *)(uintptr_t)column, &c, &status);
    fits_write_col(f, TDOUBLE, c, row, 1, 1, &number, &status);
    fits_close_file(f, &status);
    if (status) CHECK(0, "changing %s: FITS status %d", path, status);
}

/* All files good again. */
static void renew(void) {
    write_rmf(file("d.rmf"), FIXED, "MATRIX", 1, 1);
    write_arf(file("d.arf"), N_E, 1);
    write_pha(file("d.pha"), 1, 500, 1, "b.pha");
    write_pha(file("b.pha"), 1, 1000, 1, "none");
}

static void not_read(const char *message, const char *want) {
    xray_binning b = {0};
    strcpy(err, "(read without complaint)");
    xray_data d;
    int bad = xray_data_read(&d, file("d.pha"), NULL, &wilm, &b, err);
    if (!bad) xray_data_free(&d);
    CHECK(bad == -1 && strstr(err, want) && !strchr(err, '\n'), "refused, %s: %s", message,
          strrchr(err, '/') ? strrchr(err, '/') : err);
    renew();
}

/* The area of a matrix in any spelling of its unit, against the same numbers in cm2. */
static void test_area_units(void) {
    static const struct {
        const char *unit;
        double area;
    } units[] = {{"", 1},
                 {"cm**2", 1},
                 {"m**2", 1e4},
                 {"m^2", 1e4},
                 {"mm**2", 1e-2},
                 {"cm2 count/photon", 1},
                 {"cm**2 count photon**-1", 1},
                 {"m^2*counts/photon", 1e4},
                 {"cm**2.ct.ph^(-1)", 1},
                 {"chan", 1}};
    for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
        double worst = 0;
        double area = 0;
        xray_response r;
        renew();
        change(file("d.rmf"), 2, "TUNIT6", units[k].unit, 0);
        change(file("d.rmf"), 2, "HDUCLAS3", "FULL", 0);
        if (xray_response_read(&r, file("d.rmf"), NULL, err)) {
            CHECK(0, "%s", err);
            continue;
        }
        for (int i = 0; i < N_E; i++) {
            double sum = 0;
            double want = 0;
            for (int s = r.row[i]; s < r.row[i + 1]; s++)
                for (int c = 0; c < r.span[s].count; c++)
                    sum += (double)r.matrix[r.span[s].at + (size_t)c];
            for (int c = 0; c < N_C; c++)
                want += (double)(float)detector[i][c];
            worst = fmax(worst, fabs(sum - units[k].area * want));
            area = fmax(area, units[k].area * want);
        }
        CHECK(worst <= 1e-6 * area, "a matrix in '%s' is %g times one in cm2", units[k].unit, units[k].area);
        xray_response_free(&r);
        if (!strcmp(units[k].unit, "chan")) {
            continue;
        }
        renew();
        change(file("d.arf"), 2, "TUNIT3", units[k].unit, 0);
        if (xray_response_read(&r, file("d.rmf"), file("d.arf"), err)) {
            CHECK(0, "%s", err);
            continue;
        }
        CHECK(fabs(r.area[3] / detector_area[3] / units[k].area - 1) < 1e-6, "effective area in '%s'", units[k].unit);
        xray_response_free(&r);
    }
    renew();
}

/* Quality that is undefined or out of any range is not good: the grouped bin of channels 20, 21 loses one. */
static void test_quality_undefined(void) {
    for (int k = 0; k < 2; k++) {
        xray_pha p;
        renew();
        set_cell(file("d.pha"), 2, "QUALITY", 21, 77);
        change(file("d.pha"), 2, k ? "TSCAL4" : "TNULL4", NULL, k ? 1e8 : 77); /* the column's fourth: QUALITY */
        if (xray_pha_read(&p, file("d.pha"), err)) {
            CHECK(0, "%s", err);
            continue;
        }
        CHECK(p.quality[20] != 0 && p.quality[19] == 0, "QUALITY %s is bad", k ? "of 7.7e9" : "undefined");
        xray_pha_free(&p);
    }
    renew();
}

/* What a file says and the default fit does not use is told. */
static void test_unused(void) {
    xray_pha p;
    renew();
    change(file("d.pha"), 2, "CORRFILE", "corr.pha", 0);
    change(file("d.pha"), 2, "CORRSCAL", NULL, 1);
    CHECK(!xray_pha_read(&p, file("d.pha"), err) && strstr(p.note, "corr.pha"), "a correction file is told: %s",
          p.note);
    xray_pha_free(&p);
    renew();
    change(file("d.pha"), 2, "CORRFILE", "corr.pha", 0);
    CHECK(!xray_pha_read(&p, file("d.pha"), err) && !*p.note, "a correction of scale 0 is not: '%s'", p.note);
    xray_pha_free(&p);
    renew();
}

static void cut(const char *path, long bytes) {
    if (truncate(path, bytes)) CHECK(0, "cannot cut %s", path);
}

static void test_bad_files(void) {
    xray_binning b = {0};
    renew();
    xray_data d;
    CHECK(!xray_data_read(&d, file("d.pha"), NULL, &wilm, &b, err), "the good files are read");
    xray_data_free(&d);
    cut(file("d.pha"), 6000);
    not_read("a truncated PHA", "d.pha");
    cut(file("d.rmf"), 40000);
    not_read("a truncated RMF", "d.rmf");
    cut(file("d.arf"), 100);
    not_read("a truncated ARF", "d.arf");
    cut(file("d.pha"), 0);
    not_read("an empty PHA", "d.pha");
    change(file("d.pha"), 2, "EXTNAME", "EVENTS", 0);
    change(file("d.pha"), 2, "HDUCLAS1", "EVENTS", 0);
    not_read("an event list", "no extension SPECTRUM");
    change(file("d.rmf"), 2, "EXTNAME", "NOTHING", 0);
    change(file("d.rmf"), 2, "HDUCLAS2", "NOTHING", 0);
    not_read("an RMF without matrix", "no extension MATRIX");
    change(file("d.rmf"), 3, "EXTNAME", "NOTHING", 0);
    not_read("an RMF without EBOUNDS", "no extension EBOUNDS");
    change(file("d.pha"), 2, "EXPOSURE", NULL, -5);
    not_read("negative exposure", "EXPOSURE -5 s");
    change(file("d.pha"), 2, "EXPOSURE", NULL, 1e300);
    not_read("an exposure beyond any", "d.pha: EXPOSURE 1e+300 s");
    change(file("d.pha"), 2, "TUNIT2", "count/s", 0);
    not_read("counts in count/s", "column COUNTS: its unit is 'count/s', not count");
    change(file("d.pha"), 2, "TTYPE2", "RATE", 0);
    change(file("d.pha"), 2, "TUNIT2", "count/ks", 0);
    not_read("a rate in count/ks", "column RATE: its unit is 'count/ks', not count/s");
    change(file("d.rmf"), 2, "TLMIN4", NULL, 1e300);
    not_read("a first channel beyond any", "d.rmf: TLMIN4, the first channel of F_CHAN, is 1e+300");
    change(file("d.pha"), 2, "EXPOSURE", "long", 0);
    not_read("an exposure that is no number", "EXPOSURE");
    change(file("b.pha"), 2, "BACKSCAL", NULL, 0);
    not_read("a background scaled by zero", "b.pha: row 1: BACKSCAL");
    change(file("d.pha"), 2, "AREASCAL", NULL, 0);
    not_read("AREASCAL zero", "AREASCAL must be positive");
    write_arf(file("d.arf"), N_E - 1, 1);
    not_read("an ARF with fewer energies", "299 energies");
    write_arf(file("d.arf"), N_E, 1.01);
    not_read("an ARF with other energies", "not the same energies");
    set_cell(file("d.arf"), 2, "SPECRESP", 5, -1);
    not_read("negative area", "row 5: effective area -1");
    set_cell(file("d.rmf"), 2, "F_CHAN", 7, 190);
    set_cell(file("d.rmf"), 2, "N_CHAN", 7, 30);
    not_read("a group outside the channels", "row 7: F_CHAN 190");
    set_cell(file("d.rmf"), 2, "N_CHAN", 7, -3);
    not_read("a negative group", "row 7: F_CHAN");
    set_cell(file("d.rmf"), 2, "N_GRP", 7, 3);
    not_read("more groups than there are", "row 7: N_GRP is 3");
    set_cell(file("d.rmf"), 2, "MATRIX", 7, (double)NAN);
    not_read("NaN in the matrix", "the matrix holds nan");
    set_cell(file("d.rmf"), 2, "MATRIX", 7, -0.5);
    not_read("a negative probability", "the matrix holds -0.5");
    set_cell(file("d.rmf"), 2, "ENERG_HI", 7, 9);
    not_read("energies that do not join", "row 8: the energy bin");
    set_cell(file("d.rmf"), 3, "CHANNEL", 7, 9);
    not_read("channels with a gap", "EBOUNDS row 7");
    change(file("d.rmf"), 2, "TLMIN4", NULL, 0);
    change(file("d.rmf"), 2, "TLMIN4", NULL, 50);
    not_read("a wrong TLMIN", "F_CHAN");
    change(file("d.rmf"), 2, "HDUCLAS3", "FULL", 0);
    not_read("an ARF beside a full response", "HDUCLAS3 = FULL");
    write_pha(file("d.pha"), 5, 500, 1, "none");
    not_read("a spectrum with other channels", "channels 5 to 204, but its response has 1 to 200");
    change(file("d.pha"), 2, "RESPFILE", "none", 0);
    not_read("no response", "names no response");
    change(file("d.pha"), 2, "RESPFILE", "nowhere.rmf", 0);
    not_read("a response that is not there", "nowhere.rmf");
    set_cell(file("d.pha"), 2, "COUNTS", 9, -1);
    not_read("negative counts", "row 9: COUNTS are -1");
    change(file("d.pha"), 2, "TTYPE2", "NUMBERS", 0);
    not_read("no COUNTS", "column RATE");
}

/* Names of files that do not fit into one card of a header; brackets in a name, which cfitsio would take for a filter. */
static void test_names(void) {
    char rmf[300];
    char name[64];
    snprintf(rmf, sizeof rmf, "/%0250d/d.rmf", 7);
    snprintf(name, sizeof name, "%s", file("n[1].pha"));
    xray_pha p;
    CHECK(!xray_pha_room(&p, 3, 0, 10, err) && !xray_pha_write(&p, name, rmf, "none", err), "a spectrum is written");
    xray_pha back;
    CHECK(!xray_pha_read(&back, name, err) && !strcmp(back.rmf, rmf) && !back.arf[0], "a long RESPFILE, read back");
    xray_pha_free(&back);
    CHECK(xray_pha_write(&p, file("nowhere/n.pha"), rmf, NULL, err) == -1 && strstr(err, "n.pha: cannot write"),
          "a folder that is not there: %s", strrchr(err, '/') ? strrchr(err, '/') : err);
    remove(name);
    xray_pha_free(&p);
}

/* Random bytes changed: whatever comes back, nothing breaks (check-memory watches), and what is read is sound. */
static void test_damage(void) {
    static const char *const names[] = {"d.rmf", "d.arf", "d.pha"};
    int n = quick() ? 60 : 300;
    int read = 0;
    int unsound = 0;
    renew();
    for (int t = 0; t < n; t++) {
        const char *path = file(names[t % 3]);
        xray_binning b = {.how = t % 5, .every = 3, .counts = 10};
        FILE *f = fopen(path, "r+b");
        if (!f) break;
        fseek(f, 0, SEEK_END);
        long size = ftell(f);
        for (int k = 0; k < 4; k++) {
            fseek(f, (long)uniform(0, k < 2 ? 12000 : (double)size), SEEK_SET);
            fputc((int)uniform(0, 256), f);
        }
        fclose(f);
        xray_data d;
        if (!xray_data_read(&d, file("d.pha"), NULL, &wilm, &b, err)) {
            for (int k = 0; k < d.n; k++)
                unsound += !(d.counts[k] >= 0 && d.variance[k] >= 0);
            for (int i = 0; i < d.fold.n_energy; i++)
                unsound += d.fold.first[i] < 0 || d.fold.first[i] + d.fold.count[i] > d.n || !(d.fold.area[i] >= 0);
            xray_data_free(&d);
            read++;
        }
        if (t % 3 == 2) renew();
    }
    CHECK(!unsound, "%d files with four random bytes: %d read, nothing unsound", n, read);
}

/* ==== files of every kind ========================================================================================= */

/* Statistic and norm of a power law fitted to the file, or -1 with err. */
static double fitted(double *norm, const char *path, const xray_files *files, int kind, xray_data *d) {
    xray_binning b = {.e_lo = 0.5, .e_hi = 10};
    xray_model m;
    xray_problem p;
    xray_best best;
    if (xray_data_read(d, path, files, &wilm, &b, err)) return -1;
    xray_model_parse(&m, "powerlaw", err);
    if (xray_problem_init(&p, &m, d, 1, kind, err)) return -1;
    xray_fitter *f = xray_fitter_make(&p);
    xray_fit_starts(&best, f, 4, 1);
    *norm = best.theta[1];
    xray_fitter_free(f);
    return best.statistic;
}

/* Multiplies a column of an extension's first n rows, and names its unit. */
static void scale_column(const char *path, int hdu, const char *column, int n, double factor, const char *unit) {
    fitsfile *f = NULL;
    int status = 0;
    int c = 0;
    int any = 0;
    double v;
    char key[FLEN_KEYWORD];
    fits_open_diskfile(&f, path, READWRITE, &status);
    fits_movabs_hdu(f, hdu, NULL, &status);
    fits_get_colnum(f, CASEINSEN, (char *)(uintptr_t)column, &c, &status);
    for (int i = 1; i <= n; i++) {
        fits_read_col(f, TDOUBLE, c, i, 1, 1, NULL, &v, &any, &status);
        v *= factor;
        fits_write_col(f, TDOUBLE, c, i, 1, 1, &v, &status);
    }
    snprintf(key, sizeof key, "TUNIT%d", c);
    fits_update_key(f, TSTRING, key, (char *)(uintptr_t)unit, NULL, &status);
    fits_close_file(f, &status);
    if (status) CHECK(0, "changing %s: FITS status %d", path, status);
}

/* A column more, of one number a row. */
static void add_column(const char *path, const char *name, const char *form, double (*of)(int c)) {
    fitsfile *f = NULL;
    int status = 0;
    int n = 0;
    fits_open_diskfile(&f, path, READWRITE, &status);
    fits_movabs_hdu(f, 2, NULL, &status);
    fits_get_num_cols(f, &n, &status);
    fits_insert_col(f, n + 1, (char *)(uintptr_t)name, (char *)(uintptr_t)form, &status);
    for (int c = 0; c < N_C; c++) {
        double v = of(c);
        fits_write_col(f, TDOUBLE, n + 1, c + 1, 1, 1, &v, &status);
    }
    fits_close_file(f, &status);
    if (status) CHECK(0, "changing %s: FITS status %d", path, status);
}

/* Appends HDU `from` of one file to another. */
static void append_hdu(const char *to, const char *from_file, int from) {
    fitsfile *a = NULL;
    fitsfile *b = NULL;
    int status = 0;
    fits_open_diskfile(&a, from_file, READONLY, &status);
    fits_open_diskfile(&b, to, READWRITE, &status);
    fits_movabs_hdu(a, from, NULL, &status);
    fits_copy_hdu(a, b, 0, &status);
    fits_close_file(a, &status);
    fits_close_file(b, &status);
    if (status) CHECK(0, "appending to %s: FITS status %d", to, status);
}

/* A good spectrum of many counts, with good files beside it. */
static void renew_counts(void) {
    renew();
    for (int c = 0; c < N_C; c++) {
        set_cell(file("d.pha"), 2, "COUNTS", c + 1, floor(400 * exp(-0.02 * c)) + c % 7);
        set_cell(file("b.pha"), 2, "COUNTS", c + 1, 20 + c % 3);
    }
}

/* The same for files whose counts must stay as they are. */
static void not_read_counts(const char *message, const char *want) {
    xray_binning b = {0};
    xray_data d;
    int bad = xray_data_read(&d, file("d.pha"), NULL, &wilm, &b, err);
    CHECK(bad == -1 && strstr(err, want), "refused, %s: %s", message, bad ? err : "(read without complaint)");
    if (!bad) xray_data_free(&d);
    renew_counts();
}

static void set_logical(const char *path, const char *key, int value) {
    fitsfile *f = NULL;
    int status = 0;
    fits_open_diskfile(&f, path, READWRITE, &status);
    fits_movabs_hdu(f, 2, NULL, &status);
    fits_update_key(f, TLOGICAL, key, &value, NULL, &status);
    fits_close_file(f, &status);
    if (status) CHECK(0, "changing %s: FITS status %d", path, status);
}

static void drop_key(const char *path, int hdu, const char *key) {
    fitsfile *f = NULL;
    int status = 0;
    fits_open_diskfile(&f, path, READWRITE, &status);
    fits_movabs_hdu(f, hdu, NULL, &status);
    fits_delete_key(f, key, &status);
    fits_close_file(f, &status);
    if (status) CHECK(0, "changing %s: FITS status %d", path, status);
}

/* Energies in eV, GeV or Hz, areas in m2: the same fit. */
static void test_units(void) {
    static const struct {
        const char *unit;
        double factor;
    } units[] = {{"eV", 1e3}, {"GeV", 1e-6}, {"MEV", 1e-3}, {"TeV", 1e-9}, {"Hz", 2.417989242e17}};
    double want;
    double norm;
    xray_data d;
    renew_counts();
    double s = fitted(&want, file("d.pha"), NULL, XRAY_C, &d);
    CHECK(s > 0, "units: the plain files are fitted, W = %.2f %s", s, s < 0 ? err : "");
    xray_data_free(&d);
    for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
        renew_counts();
        for (int c = 0; c < 2; c++) {
            scale_column(file("d.rmf"), 2, c ? "ENERG_HI" : "ENERG_LO", N_E, units[k].factor, units[k].unit);
            scale_column(file("d.rmf"), 3, c ? "E_MAX" : "E_MIN", N_C, units[k].factor, units[k].unit);
        }
        double t = fitted(&norm, file("d.pha"), NULL, XRAY_C, &d);
        CHECK(fabs(t - s) < 1e-3 && fabs(norm / want - 1) < 1e-4, "energies in %s: W %.3f, norm %.6g %s", units[k].unit,
              t, norm, t < 0 ? err : "");
        xray_data_free(&d);
    }
    renew_counts();
    scale_column(file("d.arf"), 2, "SPECRESP", N_E, 1e-4, "m**2");
    fitted(&norm, file("d.pha"), NULL, XRAY_C, &d);
    CHECK_NEAR(norm / want, 1, 1e-4, "areas in m**2: the norm, over that in cm**2");
    xray_data_free(&d);
    renew();
    scale_column(file("d.rmf"), 3, "E_MIN", N_C, 1, "Angstrom");
    not_read("channels in Angstrom", "its unit 'Angstrom' is not known");
}

/* Which table is the source, which the background; the background that is the source. */
static void test_extensions(void) {
    xray_binning b = {.e_lo = 0.5, .e_hi = 10};
    xray_data d;
    xray_pha p;
    char name[PATH_SIZE];
    renew_counts();
    change(file("d.pha"), 2, "HDUCLAS2", "TOTAL", 0);
    change(file("b.pha"), 2, "HDUCLAS2", "BKG", 0);
    append_hdu(file("b.pha"), file("d.pha"), 2); /* background first, the source behind it */
    change(file("b.pha"), 3, "BACKFILE", "b.pha", 0);
    snprintf(name, sizeof name, "%s", file("b.pha"));
    CHECK(!xray_data_read(&d, name, NULL, &wilm, &b, err), "both spectra in one file %s", err);
    CHECK(d.background && d.counts[0] > 300 && d.background[0] < 50, "HDUCLAS2 says which is which: %g and %g counts",
          d.counts[0], d.background[0]);
    xray_data_free(&d);
    snprintf(name, sizeof name, "%.900s[1]", file("b.pha"));
    CHECK(!xray_pha_read(&p, name, err) && p.counts[0] < 50, "file[1] is the first extension %s", err);
    xray_pha_free(&p);
    snprintf(name, sizeof name, "%.900s[2]", file("b.pha"));
    CHECK(!xray_pha_read(&p, name, err) && p.counts[0] > 300, "file[2] the second %s", err);
    xray_pha_free(&p);
    snprintf(name, sizeof name, "%.900s[7]", file("b.pha"));
    CHECK(xray_pha_read(&p, name, err) == -1 && strstr(err, "find extension [7]"), "refused: %s", err);
    renew_counts();
    change(file("d.pha"), 2, "BACKFILE", "d.pha", 0);
    not_read_counts("the source as its own background", "is the spectrum itself");
    change(file("d.pha"), 2, "BACKFILE", "d.pha[1]", 0);
    not_read_counts("the same by its extension", "is the spectrum itself");
}

static double big_error(int c) {
    return 5 + c % 4;
}
static double rate(int c) {
    return (c + 4) / 500.0;
}
static double nearly_full(int c) {
    return c % 50 == 7 ? 0 : 1.5;
}

/* STAT_ERR with POISSERR = F; scales of zero; NaN in bad channels; counts below zero; rates. */
static void test_columns(void) {
    xray_binning b = {.e_lo = 0.5, .e_hi = 10, .how = XRAY_GROUP_NONE};
    xray_files none = {NULL, NULL, "none"};
    xray_model m;
    xray_problem p;
    xray_data d;
    xray_model_parse(&m, "powerlaw", err);
    renew_counts();
    add_column(file("d.pha"), "STAT_ERR", "D", big_error);
    CHECK(!xray_data_read(&d, file("d.pha"), &none, &wilm, &b, err) && fabs(d.variance[0] - d.counts[0]) < 1e-9,
          "POISSERR = T: variance of Poisson's counts, whatever STAT_ERR says");
    xray_data_free(&d);
    set_logical(file("d.pha"), "POISSERR", 0);
    CHECK(!xray_data_read(&d, file("d.pha"), &none, &wilm, &b, err) && fabs(d.variance[0] - 64) < 1e-9 && d.exact,
          "POISSERR = F: variance by STAT_ERR; counts are still counts %s", err);
    xray_data_free(&d);
    set_cell(file("d.pha"), 2, "COUNTS", 20, -3);
    CHECK(!xray_data_read(&d, file("d.pha"), &none, &wilm, &b, err) && !d.exact &&
              xray_problem_init(&p, &m, &d, 1, XRAY_C, err) == -1 && !xray_problem_init(&p, &m, &d, 1, XRAY_CHI2, err),
          "counts below zero: for chi2 only");
    xray_data_free(&d);
    renew_counts();
    set_cell(file("d.pha"), 2, "QUALITY", 30, 1);
    add_column(file("d.pha"), "AREASCAL", "D", nearly_full);
    CHECK(!xray_data_read(&d, file("d.pha"), NULL, &wilm, &b, err) && strstr(d.note, "4 channels"),
          "channels without area are left out, and it is said: %s", d.note);
    CHECK(d.n == 158 - 2 - 1 - 4, "%d bins are left", d.n);
    xray_data_free(&d);
    renew_counts();
    add_column(file("d.pha"), "RATE", "D", rate);
    change(file("d.pha"), 2, "TTYPE2", "NUMBERS", 0);
    CHECK(!xray_data_read(&d, file("d.pha"), NULL, &wilm, &b, err) && d.exact && fabs(d.counts[3] - 16) < 1e-9,
          "a rate of Poisson's counts gives them back %s", err);
    xray_data_free(&d);
    set_cell(file("d.pha"), 2, "QUALITY", 30, 5);
    set_cell(file("d.pha"), 2, "RATE", 30, (double)NAN);
    b.keep_bad = 1;
    CHECK(!xray_data_read(&d, file("d.pha"), NULL, &wilm, &b, err) && d.n > 0 && isfinite(d.counts[22]),
          "NaN in a bad channel is left out even by keep_bad %s", err);
    xray_data_free(&d);
    set_cell(file("d.pha"), 2, "QUALITY", 30, 0);
    CHECK(xray_data_read(&d, file("d.pha"), NULL, &wilm, &b, err) == -1, "in a good one it is refused: %s", err);
}

/* Several matrices; negative elements; bins without width: want and s are norm and statistic of the plain files. */
static void test_matrices(double want, double s) {
    double norm;
    xray_data d;
    renew_counts();
    write_rmf(file("e.rmf"), FIXED, "MATRIX", 1, 1);
    append_hdu(file("d.rmf"), file("e.rmf"), 2);
    remove(file("e.rmf"));
    fitted(&norm, file("d.pha"), NULL, XRAY_C, &d);
    CHECK_NEAR(norm / want, 0.5, 1e-3, "two matrices are added: twice the counts for a norm");
    CHECK(strstr(d.note, "several matrices") != NULL, "and it is said: %s", d.note);
    xray_data_free(&d);
    set_cell(file("d.rmf"), 4, "ENERG_HI", 7, 9);
    not_read_counts("a second matrix that is damaged", "row 8: the energy bin");
    write_rmf(file("e.rmf"), FIXED, "MATRIX", 1, 1);
    scale_column(file("e.rmf"), 2, "ENERG_LO", N_E, 1.01, "keV");
    scale_column(file("e.rmf"), 2, "ENERG_HI", N_E, 1.01, "keV");
    append_hdu(file("d.rmf"), file("e.rmf"), 2);
    remove(file("e.rmf"));
    not_read_counts("matrices of different energies", "different energies");
    renew_counts();
    set_cell(file("d.rmf"), 2, "MATRIX", 7, -1e-5);
    CHECK(fabs(fitted(&norm, file("d.pha"), NULL, XRAY_C, &d) - s) < 0.5, "a small negative element %s", err);
    xray_data_free(&d);
    renew_counts();
    for (int k = 0; k < 2; k++) { /* row 100 takes the width of row 101 */
        const char *path = k ? file("d.arf") : file("d.rmf");
        set_cell(path, 2, "ENERG_HI", 100, detector_edge(101));
        set_cell(path, 2, "ENERG_LO", 101, detector_edge(101));
    }
    CHECK(fabs(fitted(&norm, file("d.pha"), NULL, XRAY_C, &d) - s) < 0.02 * s && fabs(norm / want - 1) < 0.01,
          "energy bins without width: norm %.4g of %.4g %s", norm, want, err);
    xray_data_free(&d);
}

/* EXPOSURE in the primary header; several matrices; negative elements; bins without width; REDIST without an ARF; a bin
   that begins with a bad channel; .gz. */
static void test_headers(void) {
    xray_binning b = {.e_lo = 0.5, .e_hi = 10};
    double want;
    double norm;
    xray_data d;
    char command[3 * PATH_SIZE];
    renew_counts();
    double s = fitted(&want, file("d.pha"), NULL, XRAY_C, &d);
    xray_data_free(&d);
    drop_key(file("d.pha"), 2, "EXPOSURE");
    change(file("d.pha"), 1, "EXPOSURE", NULL, 500);
    CHECK(fabs(fitted(&norm, file("d.pha"), NULL, XRAY_C, &d) - s) < 1e-6, "EXPOSURE in the primary header %s", err);
    xray_data_free(&d);
    snprintf(command, sizeof command, "gzip -f '%s' '%s' '%s'", file("d.rmf"), file("d.arf"), file("b.pha"));
    if (system(command) == 0) {
        CHECK(fabs(fitted(&norm, file("d.pha"), NULL, XRAY_C, &d) - s) < 1e-6, "files that have become .gz %s", err);
        xray_data_free(&d);
        snprintf(command, sizeof command, "gunzip -f '%s.gz' '%s.gz' '%s.gz'", file("d.rmf"), file("d.arf"),
                 file("b.pha"));
        CHECK(system(command) == 0, "unpacked");
    } else {
        SKIP("no gzip");
    }
    test_matrices(want, s);
    renew_counts();
    change(file("d.pha"), 2, "ANCRFILE", "none", 0);
    not_read_counts("REDIST without an ARF", "holds no effective area");
    xray_files no_arf = {NULL, "none", NULL};
    CHECK(!xray_data_read(&d, file("d.pha"), &no_arf, &wilm, &b, err) && strstr(d.note, "no effective area"),
          "unless that is meant: %s", d.note);
    xray_data_free(&d);
    renew_counts(); /* bins of two channels; 12 begins one, 13 belongs to it: with 12 bad 13 must not join 10 and 11 */
    set_cell(file("d.pha"), 2, "QUALITY", 21, 2);
    CHECK(!xray_data_read(&d, file("d.pha"), NULL, &wilm, &b, err), "a bin whose first channel is bad %s", err);
    int alone = -1;
    for (int k = 0; k < d.n; k++)
        if (fabs(d.e_hi[k] - channel_edge(22)) < 1e-9) alone = k;
    CHECK(alone >= 0 && fabs(d.e_lo[alone] - channel_edge(21)) < 1e-9, "is not glued to the bin before");
    xray_data_free(&d);
}

/* Three spectra in the rows of one table, each with its exposure. */
static void test_type_two(void) {
    char *type[] = {"SPEC_NUM", "COUNTS", "EXPOSURE", "BACKSCAL", "QUALITY"};
    char *form[] = {"I", "200J", "D", "D", "200I"};
    char over[PATH_SIZE + 2];
    char name[PATH_SIZE];
    fitsfile *f = NULL;
    int status = 0;
    snprintf(over, sizeof over, "!%s", file("two.pha"));
    fits_create_file(&f, over, &status);
    fits_create_tbl(f, BINARY_TBL, 3, 5, type, form, NULL, "SPECTRUM", &status);
    fits_write_key(f, TSTRING, "HDUCLAS1", (char[]){"SPECTRUM"}, NULL, &status);
    fits_write_key(f, TSTRING, "HDUCLAS4", (char[]){"TYPE:II"}, NULL, &status);
    fits_write_key(f, TSTRING, "RESPFILE", (char[]){"d.rmf"}, NULL, &status);
    fits_write_key(f, TSTRING, "ANCRFILE", (char[]){"d.arf"}, NULL, &status);
    for (int r = 1; r <= 3; r++) {
        int counts[N_C];
        int quality[N_C] = {0};
        double exposure = 100.0 * r;
        double one = 1;
        for (int c = 0; c < N_C; c++)
            counts[c] = 10 * r + c % 5;
        quality[50] = r == 2;
        fits_write_col(f, TINT, 1, r, 1, 1, &r, &status);
        fits_write_col(f, TINT, 2, r, 1, N_C, counts, &status);
        fits_write_col(f, TDOUBLE, 3, r, 1, 1, &exposure, &status);
        fits_write_col(f, TDOUBLE, 4, r, 1, 1, &one, &status);
        fits_write_col(f, TINT, 5, r, 1, N_C, quality, &status);
    }
    fits_close_file(f, &status);
    CHECK(!status, "a type II file is written");
    renew();
    xray_data d;
    xray_binning b = {.e_lo = 0.5, .e_hi = 10};
    for (int r = 1; r <= 3; r++) {
        snprintf(name, sizeof name, "%.900s{%d}", file("two.pha"), r);
        int bad = xray_data_read(&d, name, NULL, &wilm, &b, err);
        CHECK(!bad && fabs(d.exposure - 100 * r) < 1e-9 && fabs(d.counts[0] - 10 * r - 2) < 1e-9 &&
                  d.n == 158 - (r == 2),
              "spectrum {%d} of a type II file: %d bins %s", r, d.n, bad ? err : "");
        xray_data_free(&d);
    }
    CHECK(xray_data_read(&d, file("two.pha"), NULL, &wilm, &b, err) == -1 && strstr(err, "{1}"), "without one: %s",
          err);
    snprintf(name, sizeof name, "%.900s{4}", file("two.pha"));
    CHECK(xray_data_read(&d, name, NULL, &wilm, &b, err) == -1 && strstr(err, "there is no {4}"), "refused: %s", err);
    snprintf(name, sizeof name, "%.900s{1}", file("d.pha"));
    CHECK(xray_data_read(&d, name, NULL, &wilm, &b, err) == -1 && strstr(err, "of type I"), "refused: %s", err);
    remove(file("two.pha"));
}

/* ==== table models ================================================================================================ */

enum { T_BINS = 60 };

static double table_edge(int i) {
    return 0.1 * pow(200, (double)i / T_BINS);
} /* 0.1 to 20 keV */

/* What the table holds: photons of K E^-index exp(-depth/E) in a bin, by its middle. */
static double table_value(int i, double index, double depth) {
    double e = sqrt(table_edge(i) * table_edge(i + 1));
    return pow(e, -index) * exp(-depth / e) * (table_edge(i + 1) - table_edge(i));
}

/* Index 1, 2, 3 (linear), depth 0.1, 1 (logarithmic); one additional spectrum, all ones, called extra. */
static void write_table(const char *path, int redshift) {
    static const float index[] = {1, 2, 3};
    static const float depth[] = {0.1f, 1};
    char *p_type[] = {"NAME", "METHOD", "INITIAL", "DELTA", "MINIMUM", "BOTTOM", "TOP", "MAXIMUM", "NUMBVALS", "VALUE"};
    char *p_form[] = {"12A", "J", "E", "E", "E", "E", "E", "E", "J", "3E"};
    char *e_type[] = {"ENERG_LO", "ENERG_HI"};
    char *e_form[] = {"D", "D"};
    char *s_type[] = {"PARAMVAL", "INTPSPEC", "ADDSP001"};
    char *s_form[] = {"2E", "60E", "60E"};
    char *names[] = {"Index", "Depth", "extra"};
    char over[PATH_SIZE + 2];
    fitsfile *f = NULL;
    int status = 0;
    int two = 2;
    int one = 1;
    snprintf(over, sizeof over, "!%s", path);
    fits_create_file(&f, over, &status);
    fits_create_img(f, 8, 0, NULL, &status);
    fits_write_key(f, TSTRING, "MODLNAME", (char[]){"plasma"}, NULL, &status);
    fits_write_key(f, TLOGICAL, "REDSHIFT", &redshift, NULL, &status);
    fits_create_tbl(f, BINARY_TBL, 3, 10, p_type, p_form, NULL, "PARAMETERS", &status);
    fits_write_key(f, TINT, "NINTPARM", &two, NULL, &status);
    fits_write_key(f, TINT, "NADDPARM", &one, NULL, &status);
    for (int k = 0; k < 3; k++) {
        int method = k == 1;
        int n = k == 0 ? 3 : k == 1 ? 2 : 0;
        float row[6] = {k ? 0.5f : 1.5f,           0.01f,     k == 1 ? 0.1f : k ? 0 : 1,
                        k == 1 ? 0.1f : k ? 0 : 1, k ? 1 : 3, k ? 1 : 3};
        fits_write_col(f, TSTRING, 1, k + 1, 1, 1, &names[k], &status);
        fits_write_col(f, TINT, 2, k + 1, 1, 1, &method, &status);
        for (int c = 0; c < 6; c++)
            fits_write_col(f, TFLOAT, 3 + c, k + 1, 1, 1, &row[c], &status);
        fits_write_col(f, TINT, 9, k + 1, 1, 1, &n, &status);
        if (n) fits_write_col(f, TFLOAT, 10, k + 1, 1, n, (void *)(uintptr_t)(k ? depth : index), &status);
    }
    fits_create_tbl(f, BINARY_TBL, T_BINS, 2, e_type, e_form, NULL, "ENERGIES", &status);
    for (int i = 0; i < T_BINS; i++) {
        double edge[2] = {table_edge(i), table_edge(i + 1)};
        fits_write_col(f, TDOUBLE, 1, i + 1, 1, 1, &edge[0], &status);
        fits_write_col(f, TDOUBLE, 2, i + 1, 1, 1, &edge[1], &status);
    }
    fits_create_tbl(f, BINARY_TBL, 6, 3, s_type, s_form, NULL, "SPECTRA", &status);
    for (int r = 0; r < 6; r++) { /* in an order of its own */
        float at[2] = {index[2 - r / 2], depth[r % 2]};
        float spectrum[T_BINS];
        float ones[T_BINS];
        for (int i = 0; i < T_BINS; i++) {
            spectrum[i] = (float)table_value(i, (double)at[0], (double)at[1]);
            ones[i] = 1;
        }
        fits_write_col(f, TFLOAT, 1, r + 1, 1, 2, at, &status);
        fits_write_col(f, TFLOAT, 2, r + 1, 1, T_BINS, spectrum, &status);
        fits_write_col(f, TFLOAT, 3, r + 1, 1, T_BINS, ones, &status);
    }
    fits_close_file(f, &status);
    if (status) CHECK(0, "writing %s: FITS status %d", path, status);
}

/* The expression with %s as the file, on the grid. */
static void table_eval(double *flux, const char *expression, const char *path, const xray_grid *g, const double *par) {
    xray_library library = {.load = xray_table_load};
    char text[PATH_SIZE + 64];
    xray_model m;
    snprintf(text, sizeof text, expression, path);
    flux[0] = (double)NAN;
    if (xray_model_parse_with(&m, text, &library, err)) {
        CHECK(0, "%s", err);
        return;
    }
    double *scratch = xray_alloc((size_t)g->n, (4 + (size_t)m.depth) * sizeof *scratch);
    xray_model_eval(flux, &m, g, par, scratch);
    free(scratch);
    xray_table_free_all(&library);
}

/* Tables that multiply, on the table's own bins. */
static void test_table_factors(const xray_grid *g, const char *name) {
    double flux[T_BINS];
    const double *edge = g->edge;
    double worst = 0;
    double other = 0;
    write_table(name, 0);
    table_eval(flux, "powerlaw*mtable{%s}", name, g, (double[]){0, 1, 3, 0.1, 0});
    for (int i = 0; i < T_BINS; i++)
        worst = fmax(worst, fabs(flux[i] / (edge[i + 1] - edge[i]) / table_value(i, 3, 0.1) - 1));
    CHECK_LE(worst, 1e-6, "mtable multiplies");
    table_eval(flux, "powerlaw*etable{%s}", name, g, (double[]){0, 1, 3, 0.1, 0});
    for (int i = 0; i < T_BINS; i++)
        other = fmax(other, fabs(flux[i] / (edge[i + 1] - edge[i]) / exp(-table_value(i, 3, 0.1)) - 1));
    CHECK_LE(other, 1e-5, "etable multiplies by exp(-value)");
    table_eval(flux, "powerlaw*mtable{%s}", name, g, (double[]){0, 1, 3.5, 0.1, 0});
    CHECK(isnan(flux[0]), "outside of the tabulated values there is no number");
}

static void test_table_refusals(const char *name) {
    xray_library library = {.load = xray_table_load};
    xray_model m;
    char text[200];
    CHECK(xray_model_parse_with(&m, "atable{nowhere.fits}", &library, err) == -1 && strstr(err, "nowhere.fits"),
          "refused: %s", err);
    CHECK(xray_model_parse_with(&m, "table{x}", &library, err) == -1 && strstr(err, "is not atable"), "refused: %s",
          err);
    CHECK(xray_model_parse(&m, "atable{x}", err) == -1, "refused: %s", err);
    write_table(name, 0);
    set_cell(name, 4, "PARAMVAL", 3, 1.7);
    snprintf(text, sizeof text, "atable{%s}", name);
    CHECK(xray_model_parse_with(&m, text, &library, err) == -1 && strstr(err, "PARAMVAL"), "refused: %s", err);
    write_table(name, 0);
    set_cell(name, 2, "NUMBVALS", 1, 4);
    CHECK(xray_model_parse_with(&m, text, &library, err) == -1, "refused: %s", err);
}

static void test_ebl(void) {
    double flux[6];
    xray_grid g;
    const char *ebl = check_data("ebl/ebl_franceschini_2017.fits.gz");
    if (ebl) { /* means over the bins at z = 0.031, taken from the file by astropy and numpy: 0.760531, 0.744924 */
        double at[] = {0.9e6, 1.1e6, 0.9e9, 1.0e9, 1.1e9, 9e11, 2e12};
        xray_grid_make(&g, at, 6, &wilm, err);
        table_eval(flux, "powerlaw*ebl{%s}", ebl, &g, (double[]){0, 1, 0.031});
        CHECK_NEAR(flux[0] / 0.2e6, 1, 1e-6, "EBL of Franceschini & Rodighiero 2017 at z = 0.031: 1 at 1 GeV");
        CHECK_NEAR(flux[2] / 1e8, 0.760531, 1e-5, "0.9 to 1 TeV");
        CHECK_NEAR(flux[3] / 1e8, 0.744924, 1e-5, "1 to 1.1 TeV");
        CHECK(flux[5] / 1.1e12 < 1e-6, "nothing at PeV");
        xray_grid_free(&g);
    } else {
        SKIP("no EBL tables");
    }
}

static void test_tables(void) {
    xray_library library = {.load = xray_table_load};
    xray_model m;
    double edge[T_BINS + 1];
    double flux[T_BINS];
    double worst = 0;
    char name[64];
    char text[200];
    xray_grid g;
    xray_grid wide;
    for (int i = 0; i <= T_BINS; i++)
        edge[i] = table_edge(i);
    xray_grid_make(&g, edge, T_BINS, &wilm, err);
    xray_grid_band(&wide, 0.05, 40, T_BINS, &wilm, err);
    snprintf(name, sizeof name, "%.63s", file("table.fits"));
    write_table(name, 1);
    snprintf(text, sizeof text, "tbabs*atable{%s}", name);
    CHECK(!xray_model_parse_with(&m, text, &library, err) && m.n_par == 6 && !strcmp(m.par[1].name, "plasma.Index") &&
              !strcmp(m.par[3].name, "plasma.extra") && !strcmp(m.par[4].name, "plasma.Redshift") && m.par[4].fixed &&
              !strcmp(m.par[5].name, "plasma.norm") && m.par[1].lo >= 1 && m.par[1].hi <= 3,
          "a table's parameters %s", err);
    xray_table_free_all(&library);
    table_eval(flux, "atable{%s}", name, &g, (double[]){1.5, sqrt(0.1), 0.25, 0, 2});
    for (int i = 0; i < T_BINS; i++) { /* halfway in both: linear, and in the logarithm */
        double mean =
            0.25 * (table_value(i, 1, 0.1) + table_value(i, 2, 0.1) + table_value(i, 1, 1) + table_value(i, 2, 1));
        worst = fmax(worst, fabs(flux[i] / (2 * (mean + 0.25)) - 1));
    }
    CHECK_LE(worst, 1e-6, "atable, halfway between tabulated values, with an additional spectrum (single precision)");
    table_eval(flux, "atable{%s}", name, &wide, (double[]){2, 1, 0, 0, 1});
    double sum[2] = {0, 0};
    for (int i = 0; i < T_BINS; i++) {
        sum[0] += flux[i];
        sum[1] += table_value(i, 2, 1);
    }
    CHECK_NEAR(sum[0] / sum[1], 1, 1e-6, "on another grid: the photons are all there");
    CHECK(flux[0] <= 0 && flux[T_BINS - 1] <= 0, "and none outside");
    table_eval(flux, "atable{%s}", name, &wide, (double[]){2, 1, 0, 1, 1});
    sum[0] = 0;
    for (int i = 0; i < T_BINS; i++)
        sum[0] += flux[i];
    CHECK_NEAR(sum[0] / sum[1], 0.5, 1e-6, "at redshift 1: half of them");
    test_table_factors(&g, name);
    test_table_refusals(name);
    test_ebl();
    remove(name);
    xray_grid_free(&g);
    xray_grid_free(&wide);
}

/* A file of the corpus, unpacked into the tests' folder under its plain name; "" where it is absent. */
static const char *unpacked(const char *name) {
    char command[4 * PATH_SIZE];
    char packed[300];
    const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
    snprintf(packed, sizeof packed, "xray/corpus/%.200s.gz", name);
    const char *source = check_data(packed);
    if (source)
        snprintf(command, sizeof command, "gunzip -c '%.500s' > '%s'", source, file(base));
    else {
        snprintf(packed, sizeof packed, "xray/corpus/%.200s", name);
        source = check_data(packed);
        snprintf(command, sizeof command, "cp '%.500s' '%s'", source ? source : "", file(base));
    }
    if (!source || system(command) != 0) return "";
    return file(base);
}

typedef struct corpus_fit {
    const char *name, *rmf, *arf, *model; /* rmf NULL: as named */
    double e_lo, e_hi;
    int bins, par; /* par: the parameter that is looked at */
    double statistic, value, tolerance;
} corpus_fit;

/* Fits and compares; the flux of the best fit in the range of the data into *flux. */
static void fit_corpus(const corpus_fit *c, double *flux, xray_best *best, int *states) {
    enum { BINS = 1000 };
    char rmf[PATH_SIZE];
    char arf[PATH_SIZE];
    snprintf(rmf, sizeof rmf, "%s", c->rmf ? unpacked(c->rmf) : "");
    snprintf(arf, sizeof arf, "%s", c->arf ? unpacked(c->arf) : "");
    xray_files files = {c->rmf ? rmf : NULL, c->arf ? arf : NULL, NULL};
    xray_binning b = {.e_lo = c->e_lo, .e_hi = c->e_hi};
    double full[XRAY_MAX_PAR];
    xray_data d;
    xray_model m;
    xray_problem p;
    xray_grid band;
    if (xray_data_read(&d, unpacked(c->name), &files, &wilm, &b, err)) {
        CHECK(0, "%s", err);
        return;
    }
    xray_model_parse(&m, c->model, err);
    xray_problem_init(&p, &m, &d, 1, XRAY_C, err);
    if (states) p.par[0].free = p.par[m.n_par - 2].free = 1; /* the degenerate one */
    xray_fitter *f = xray_fitter_make(&p);
    xray_fit_starts(best, f, 10, 1);
    CHECK(d.n == c->bins && fabs(best->statistic - c->statistic) < 0.02, "%s, %s: statistic %.2f in %d bins", c->name,
          c->model, best->statistic, d.n);
    CHECK_NEAR(best->theta[c->par], c->value, c->tolerance, f->p->par[f->free_par[c->par]].name);
    for (int k = 0; states && k < f->n_free; k++)
        states[k] = best->state[k];
    xray_grid_band(&band, d.e_lo[0], d.e_hi[d.n - 1], BINS, &wilm, err);
    double *scratch = xray_alloc(BINS, (5 + (size_t)m.depth) * sizeof *scratch);
    xray_expand(full, f, 0, best->theta);
    *flux = xray_flux(&m, &band, full, 1, scratch);
    free(scratch);
    xray_grid_free(&band);
    xray_fitter_free(f);
    xray_data_free(&d);
}

/* Public spectra that were refused or misread. Sherpa 4.19 gives the same for those with a * (load_pha, notice on whole
   bins, wstat or cstat, powlaw1d, neldermead): 38.3435, 2.81705; 34.8821, 2.12519. 457.6 and 1.730 for 9774, and 1.443
   for 179 are the numbers of the files' own README. */
static void test_corpus(void) {
    static const corpus_fit fits[] = {
        {"9774.pi", NULL, NULL, "powerlaw", 0.5, 7, 444, 0, 457.61, 1.730, 1e-3},
        {"179.pi", NULL, NULL, "tbabs*powerlaw", 0.5, 8, 512, 1, 599.85, 1.443, 1e-3},
        {"crab_hess/pha_obs23523.fits", NULL, NULL, "powerlaw", 0, 0, 41, 0, 38.3435, 2.81705, 2e-4}, /* * */
        {"crab_fermi/pha_obs0.fits", NULL, NULL, "powerlaw", 0, 0, 36, 0, 34.8821, 2.12519, 2e-4},    /* * */
        {"sis0.pha", "sis0.rmf", "sis0.arf", "tbabs*powerlaw", 0.6, 9, 574, 1, 858.64, 1.7676, 1e-3}};
    static const char *const beside[] = {"9774.rmf",
                                         "9774.arf",
                                         "9774_bg.pi",
                                         "cdfs4Ms_179.rmf",
                                         "cdfs4Ms_179.arf",
                                         "cdfs4Ms_179_bkg.pi",
                                         "crab_hess/rmf_obs23523.fits",
                                         "crab_hess/arf_obs23523.fits",
                                         "crab_hess/bkg_obs23523.fits",
                                         "crab_fermi/rmf_obs0.fits",
                                         "crab_fermi/arf_obs0.fits",
                                         "crab_fermi/bkg_obs0.fits"};
    xray_best best;
    double flux;
    int states[XRAY_MAX_FREE];
    xray_pha p;
    if (!check_data("xray/corpus/9774.pi.gz") || !*unpacked("9774.pi")) {
        SKIP("the corpus of spectra is not here, or there is no gunzip");
        return;
    }
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++)
        unpacked(beside[i]);
    for (size_t i = 0; i < sizeof fits / sizeof *fits; i++)
        fit_corpus(&fits[i], &flux, &best, NULL);
    /* 5.845e-11: of the whole range 0.6 to 9 keV, of which the bins take 0.6003 to 8.993 */
    CHECK_NEAR(flux / 5.845e-11, 1, 1e-3, "sis0: flux of the best fit, over 5.845e-11");
    corpus_fit tied = fits[4];
    tied.model = "constant*tbabs*powerlaw";
    tied.par = 2;
    fit_corpus(&tied, &flux, &best, states);
    CHECK_NEAR(flux / 5.845e-11, 1, 1e-3, "with a free constant: the same flux");
    CHECK(states[0] == XRAY_TIED && states[3] == XRAY_TIED && states[1] == XRAY_FINE && isnan(best.sigma[0]) &&
              best.sigma[2] > 0.012 && best.sigma[2] < 0.016,
          "constant and norm are named as tied, the index keeps its error %.4f", best.sigma[2]);
    CHECK(!xray_pha_read(&p, unpacked("P0112880201R1S004SBSPEC1003.FTZ"), err) && p.n == 3600 && p.exposure > 28965,
          "RGS: scales of 0 in bad channels are read");
    xray_pha_free(&p);
    const char *hrc = unpacked("hrcf24564_000N030_r0001_pha3.fits");
    double sum[2] = {0, 0};
    for (int back = 0; back < 2; back++) {
        CHECK(!xray_pha_read_as(&p, hrc, back, err), "a file with source and background: %s", back ? "BKG" : "TOTAL");
        for (int i = 0; i < p.n; i++)
            sum[back] += p.counts[i];
        xray_pha_free(&p);
    }
    CHECK(fabs(sum[0] - sum[1]) > 0, "they differ: %g and %g counts", sum[0], sum[1]);
}

static void test_ogip(void) {
    char temporary[] = "/tmp/test_xray_XXXXXX";
    char command[PATH_SIZE];
    if (!mkdtemp(temporary)) {
        CHECK(0, "no temporary folder");
        return;
    }
    snprintf(folder, sizeof folder, "%s", temporary);
    test_responses();
    test_spectra();
    test_area_units();
    test_quality_undefined();
    test_unused();
    test_bad_files();
    test_names();
    test_damage();
    test_units();
    test_extensions();
    test_columns();
    test_headers();
    test_type_two();
    test_tables();
    test_corpus();
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0) CHECK(0, "%s", command);
}

/* ==== published numbers =========================================================================================== */

static int real_data(xray_data *d, const char *name, const xray_absorption *ism, const xray_binning *b,
                     const xray_files *files) {
    char path[PATH_SIZE];
    if (!check_data(name)) {
        SKIP("%s is not here", name);
        return 0;
    }
    snprintf(path, sizeof path, "%s", check_data(name));
    if (!xray_data_read(d, path, files, ism, b, err)) return 1;
    CHECK(0, "%s", err);
    return 0;
}

static double real_statistic(xray_data *d, const char *expression, const double *par, int kind) {
    xray_model m;
    xray_work *w;
    if (xray_model_parse(&m, expression, err) || !(w = xray_work_make(&m, d, 1))) return (double)NAN;
    xray_fold_model(d->model, d, &m, par, w);
    double s = xray_statistic(NULL, NULL, d, d->model, kind);
    xray_work_free(w);
    return s;
}

static void test_published(void) {
    static const double ulx_angr[] = {0.0909, 0.760, 0.174, 2.099, 2.91e-4};
    static const double ulx_wilm[] = {0.0940, 0.742, 0.198, 2.026, 2.60e-4};
    static const double nicer[] = {0.2449, 1.651, 0.863, 0.591, 471};
    static const char *const ulx = "xray/ngc7793_xmm/PN_spectrum_grp20.fits";
    xray_files none = {NULL, NULL, "none"};
    xray_binning b = {.e_lo = 0.5, .e_hi = 10};
    xray_binning all = {0};
    xray_binning quasar = {.e_lo = 0.1, .e_hi = 6};
    xray_data d;
    if (real_data(&d, ulx, &angr, &b, &none)) {
        CHECK(d.n == 104, "NGC 7793 ULX-4: %d bins", d.n);
        CHECK_NEAR(real_statistic(&d, "tbabs*(bbodyrad+powerlaw)", ulx_angr, XRAY_C), 92.9, 0.5,
                   "its C at the published point, Anders & Grevesse");
        xray_data_free(&d);
    }
    if (real_data(&d, ulx, &wilm, &b, &none)) {
        CHECK_NEAR(real_statistic(&d, "tbabs*(bbodyrad+powerlaw)", ulx_wilm, XRAY_C), 96.4, 0.5, "its C, Wilms");
        xray_data_free(&d);
    }
    if (real_data(&d, "xray/nicer_4u1820/4u1820_observed.pha", &wilm, &all, NULL)) {
        CHECK_NEAR(real_statistic(&d, "tbabs*(powerlaw+bbodyrad)", nicer, XRAY_C), 183, 2,
                   "4U 1820-30: its C at the published point");
        xray_model m;
        xray_model_parse(&m, "tbabs*(powerlaw+bbodyrad)", err);
        xray_problem p;
        xray_fitter *f = make_fitter(&p, &m, &d, 1, XRAY_C);
        xray_best best;
        xray_fit_starts(&best, f, 20, 1);
        CHECK(best.statistic <= 181 && best.statistic > 160, "4U 1820-30: best C %.1f, published 172 to 181",
              best.statistic);
        xray_fitter_free(f);
        xray_data_free(&d);
    }
    if (real_data(&d, "xray/3c273_chandra/3c273.pi", &wilm, &quasar, NULL)) {
        xray_model m;
        xray_model_parse(&m, "tbabs*powerlaw", err);
        xray_problem p;
        xray_problem_init(&p, &m, &d, 1, XRAY_CHI2, err);
        p.par[0].free = 0;
        p.par[0].value = 0.07; /* as in the published fit: chi2, 0.1 to 6 keV, background subtracted */
        xray_fitter *f = xray_fitter_make(&p);
        xray_best best;
        xray_fit_starts(&best, f, 5, 1);
        CHECK_NEAR(best.theta[0], 2.16, best.sigma[0], "3C 273: index, within its error");
        xray_fitter_free(f);
        xray_data_free(&d);
    }
}
#endif

int main(int argc, char **argv) {
    unsigned long seed = check_seed(argc, argv);
    bml_mcmc_rng_init(&rng, seed, 0);
    if (xray_absorption_builtin(&wilm, XRAY_WILM, err) || xray_absorption_builtin(&angr, XRAY_ANGR, err)) return 1;
    detector_make();
    test_exp();
    test_components();
    test_closed_forms();
    test_flux();
    test_absorption();
    test_absorbers();
    test_expressions();
    test_fold();
    test_binning();
    test_statistics();
    test_expected();
    test_poisson();
    test_fit_exact();
    test_interval();
    test_coverage();
    test_several();
    test_states();
    test_dark();
    test_ssc();
    test_probit();
    test_mixture();
    test_resample();
    test_resample_hard();
    test_adjust();
    test_judge();
    test_r2_error();
    test_distance();
    test_net_file();
#ifdef BML_XRAY_USE_CFITSIO
    test_ogip();
    test_published();
#else
    {
        xray_pha p;
        CHECK(xray_pha_read(&p, "x.pha", err) == -1 && strstr(err, "libcfitsio-dev"), "without cfitsio: %s", err);
    }
    SKIP("OGIP files and published numbers: no cfitsio (Debian: libcfitsio-dev)");
#endif
    xray_absorption_free(&wilm);
    xray_absorption_free(&angr);
    return check_done();
}
