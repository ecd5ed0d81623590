/* xray.h: X-ray spectra: reads OGIP files, evaluates models written as expressions, folds them, compares, fits,
   simulates.

     #include "common.h"
     #define BML_MCMC_IMPLEMENTATION
     #include "bml_mcmc.h"                      (for its random numbers)
     #include "xray.h"
     xray_absorption ism;
     xray_binning binning = {.e_lo = 0.5, .e_hi = 10};
     xray_data data;
     xray_model model;
     char err[ERROR_SIZE];
     if (xray_absorption_builtin(&ism, XRAY_WILM, err)) fail("%s", err);
     if (xray_data_read(&data, "source.pha", NULL, &ism, &binning, err)) fail("%s", err);
     if (xray_model_parse(&model, "tbabs*(powerlaw+bbodyrad)", err)) fail("%s", err);
     double par[] = {0.1, 2, 3e-4, 0.8, 0.2};   in the order of model.par[].name
     xray_work *work = xray_work_make(&model, &data, 1);
     xray_fold_model(data.model, &data, &model, par, work);
     printf("C = %g in %d bins\n", xray_statistic(NULL, NULL, &data, data.model, XRAY_C), data.n);
     xray_work_free(work);
     xray_data_free(&data);
     xray_absorption_free(&ism);

   Files: PHA (type I, or a row of type II; what it names), RMF (all its matrices), ARF: xray_ogip.h says what is read
   and how files are named. They need cfitsio: define BML_XRAY_USE_CFITSIO and link with -lcfitsio (Debian:
   libcfitsio-dev). Without it all else is there, and readers say what is missing. cfitsio is not thread safe; all
   other functions here are, as long as each thread has its own xray_work and output arrays.

   Models. photons/(cm2 s) in each bin of energy, integrated over the bin; E in keV, K = norm:
       powerlaw   K E^-PhoIndex                                exact
       zpowerlw   K (E (1 + Redshift))^-PhoIndex               exact
       bknpower   K E^-PhoIndx1 below BreakE, K BreakE^(PhoIndx2-PhoIndx1) E^-PhoIndx2 above it      exact
       pegpwrlw   E^-PhoIndex with an energy flux of K 1e-12 erg/(cm2 s) from eMin to eMax           exact
       cutoffpl   K E^-PhoIndex exp(-E/HighECut)               (q)
       logpar     K x^-(alpha + beta log10 x), x = E/pivotE    (q) (Massaro et al. 2004, A&A 413, 489, eq. 1)
       bbodyrad   K C E^2 / (exp(E/kT) - 1), K = (R_km/D_10kpc)^2, C = 1.0344e-3 as in XSPEC, so that norms compare
                  (2 pi/(h^3 c^2) km^2/(10 kpc)^2 is 1.0380e-3 with today's constants)                           (q)
       diskbb     K (8/3) C E^2 integral_0^1 t^(-11/3) / (exp(E/(t Tin)) - 1) dt, K = (Rin_km/D_10kpc)^2 cos i   (q)
                  (rings of black body with T ~ r^(-3/4); Mitsuda et al. 1984, PASJ 36, 741)
       gaussian   K photons in a line at LineE with standard deviation Sigma                                     exact
       tbabs      exp(-nH sigma(E)), nH in 1e22 cm^-2, sigma the mean over the bin. Multiplies, as all below.
       ztbabs     the same at E (1 + Redshift). XSPEC's leaves out grains and molecules here: up to 5 % below 0.5 keV.
       phabs      gas alone, with Anders & Grevesse's abundances whatever tbabs has; zphabs at E (1 + Redshift)
       constant   factor
       cflux      scales what stands behind it in the product to an energy flux of 10^lg10Flux erg/(cm2 s) from Emin to
                  Emax (fix one norm in there). 300 bins of equal ratio: 1e-5 for a power law
   (q): three-point Gauss-Legendre in each bin, relative error about (w/kT)^6/2e6 for a bin w wide: bins of a response
   are never wide enough to show it; bins wider than kT are not for this file. Nothing is absorbed below 13.6 eV.
   Beyond these: tables of XSPEC (xray_table.h), ssc and ebl (xray_ssc.h), your own (xray_extra).
   Expressions: sums and products with parentheses; `tbabs(powerlaw)` is `tbabs*(powerlaw)`. Names in any case, and
   shortened as long as they are clear (TBabs, po). A second power law is called powerlaw2, its parameters
   powerlaw2.norm and so on; a name that only one component has may be used alone (nH, kT).
   Redshifts, pivots and constants are held in fits unless freed.

   Statistics, D counts, M model counts, both in a bin: all are -2 ln L up to a constant, and about 1 per bin in a good
   fit.
       C      2 (M - D + D ln(D/M))  (Cash 1979, ApJ 228, 939). Background is not looked at: fits take W where there is
              one.
       W      the same with a background spectrum, whose rate in each bin is eliminated by maximum likelihood (the W
              statistic of XSPEC's appendix B). Biased where background bins hold few counts: group to several counts a
              bin, or give the background a model (xray_problem_dark).
       chi2   (D - r B - M)^2 / (D + r^2 B + (s D)^2): Gaussian, so for 20 counts and more; an empty bin counts as
              variance 1; STAT_ERR squared in the place of D where POISSERR is not true; s is the systematic error, a
              fraction: SYS_ERR of the file, and binning.systematic, in quadrature.
       flux points (xray_points_make): a Gaussian in log10 nuFnu; upper limits ln Phi((limit - model)/sigma).
   When NOT to use this: gratings with energies in descending order, pile-up, time-resolved responses.

   Functions that can fail return 0, or -1 with one line of text in err[ERROR_SIZE]. Public domain or MIT, see LICENSE.
   */
#ifndef XRAY_H
#define XRAY_H
#include "common.h"
#include "bml_mcmc.h" /* random numbers; define BML_MCMC_IMPLEMENTATION before it in one file of the program */
#include "../data/tbabs.h"
#ifdef BML_XRAY_USE_CFITSIO
#include <fitsio.h>
#endif

enum { XRAY_MAX_CHANNELS = 1 << 20, XRAY_MAX_ENERGIES = 1 << 20, XRAY_MAX_MATRIX = 1 << 28 };

enum { XRAY_NOTE = 400 };         /* bytes of what a reader has to say of an object, NUL included */
enum { XRAY_UNUSABLE = 1 << 20 }; /* QUALITY of a channel without numbers: left out even where bad channels are kept */

/* Appends a sentence to note[XRAY_NOTE]. */
COMMON_PRINTF(2, 3) static inline void xray_note(char *note, const char *fmt, ...) {
    size_t used = strlen(note);
    va_list ap;
    if (used && used + 2 < XRAY_NOTE) {
        strcpy(note + used, "; ");
        used += 2;
    }
    va_start(ap, fmt);
    vsnprintf(note + used, XRAY_NOTE - used, fmt, ap);
    va_end(ap);
}

/* Zeroed memory for n elements; NULL when there is none or the size is absurd. */
static inline void *xray_alloc(size_t n, size_t size) {
    return n > SIZE_MAX / 2 / size ? NULL : calloc(n ? n : 1, size);
}

/* ==== vector arithmetic ===========================================================================================
   exp of whole arrays, in plain loops that compilers put on vector registers: 2^k from the bits of a double, the rest
   from the Taylor series on |r| <= ln2/2, good to 1e-15. */

/* y[i] = exp(x[i]), x cut to -700 ... 700; NaN stays NaN. y may be x. */
static inline void xray_exp(double *y, const double *x, int n) {
    static const double shift = 6755399441055744.0; /* 1.5 2^52: adding it leaves the nearest integer in the low bits */
    for (int i = 0; i < n; i++) {
        double v = x[i] > 700 ? 700 : x[i] < -700 ? -700 : x[i];
        union {
            double real;
            uint64_t bits;
        } k, two;
        k.real = v * 1.4426950408889634 + shift;
        double r = v - (k.real - shift) * 6.93147180369123816490e-01; /* ln 2 in two parts */
        r = r - (k.real - shift) * 1.90821492927058770002e-10;
        double p = 1.0 / 39916800 + r * (1.0 / 479001600);
        p = 1.0 / 3628800 + r * p;
        p = 1.0 / 362880 + r * p;
        p = 1.0 / 40320 + r * p;
        p = 1.0 / 5040 + r * p;
        p = 1.0 / 720 + r * p;
        p = 1.0 / 120 + r * p;
        p = 1.0 / 24 + r * p;
        p = 1.0 / 6 + r * p;
        p = 0.5 + r * p;
        p = 1 + r * (1 + r * p);
        two.bits = (k.bits << 52) + ((uint64_t)1023 << 52);
        double scale = two.real;
        y[i] = p * scale;
    }
}

static inline char xray_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* ==== absorption by the interstellar medium ======================================================================= */

enum { XRAY_WILM, XRAY_ANGR }; /* abundances of data/tbabs.h */

typedef struct xray_absorption {
    int n, n_gas;
    double *log_e, *log_sigma; /* [n] ln keV, ascending; ln 1e-22 cm^2: of tbabs */
    double *gas_e, *gas_sigma; /* [n_gas] the same of phabs */
} xray_absorption;

static inline void xray_absorption_free(xray_absorption *a) {
    free(a->log_e);
    free(a->log_sigma);
    free(a->gas_e);
    free(a->gas_sigma);
    memset(a, 0, sizeof *a);
}

static inline int xray_absorption_room(xray_absorption *a, int n, char *err) {
    memset(a, 0, sizeof *a);
    a->n = n;
    a->n_gas = PHABS_N;
    a->log_e = xray_alloc((size_t)n, sizeof(double));
    a->log_sigma = xray_alloc((size_t)n, sizeof(double));
    a->gas_e = xray_alloc(PHABS_N, sizeof(double));
    a->gas_sigma = xray_alloc(PHABS_N, sizeof(double));
    for (int i = 0; a->gas_e && a->gas_sigma && i < PHABS_N; i++) {
        a->gas_e[i] = log((double)phabs_table[i][0]);
        a->gas_sigma[i] = log((double)phabs_table[i][1]);
    }
    if (a->log_e && a->log_sigma && a->gas_e && a->gas_sigma) {
        return 0;
    }
    xray_absorption_free(a);
    return error_set(err, "out of memory");
}

/* The table that is built in: XRAY_WILM or XRAY_ANGR. Free it. */
static inline int xray_absorption_builtin(xray_absorption *a, int abundances, char *err) {
    if (xray_absorption_room(a, TBABS_N, err)) {
        return -1;
    }
    for (int i = 0; i < a->n; i++) {
        a->log_e[i] = log((double)tbabs_table[i][0]);
        a->log_sigma[i] = log((double)tbabs_table[i][abundances == XRAY_ANGR ? 2 : 1]);
    }
    return 0;
}

static const double xray_log_rydberg = -4.29770; /* ln 0.0136 keV: below, nothing is ionised, and nothing absorbed */

/* sigma [1e-22 cm^2] at a log energy, by straight lines in the logarithms, continued beyond both ends, to the Lyman
   limit. gas: of phabs. */
static inline double xray_sigma(const xray_absorption *a, int gas, double log_e) {
    if (log_e < xray_log_rydberg) {
        return 0;
    }
    const double *x = gas ? a->gas_e : a->log_e;
    const double *y = gas ? a->gas_sigma : a->log_sigma;
    int lo = 0;
    int hi = (gas ? a->n_gas : a->n) - 1;
    while (hi - lo > 1) {
        int mid = (lo + hi) / 2;
        *(x[mid] <= log_e ? &lo : &hi) = mid;
    }
    return exp(y[lo] + (log_e - x[lo]) * (y[hi] - y[lo]) / (x[hi] - x[lo]));
}

static inline double xray_absorption_sigma(const xray_absorption *a, double log_e) {
    return xray_sigma(a, 0, log_e);
}

/* ==== grids of energy =============================================================================================
   What models need to know of the bins, computed once. Arrays over the three Gauss-Legendre nodes are [3][n]. */

typedef struct xray_grid {
    int n;
    double *edge;                     /* [n+1] keV */
    double *log_mid, *log_ratio;      /* [n] ln sqrt(lo hi), ln(hi/lo) */
    double *node, *log_node, *weight; /* [3][n] keV, ln keV, keV */
    double *sigma, *gas;              /* [n] absorption of tbabs and phabs [1e-22 cm^2], mean over the bin */
    double widest;                    /* largest log_ratio */
    const xray_absorption *ism;       /* the caller's, who keeps it as long as the grid */
} xray_grid;

static inline void xray_grid_free(xray_grid *g) {
    free(g->edge); /* the rest lies behind it */
    memset(g, 0, sizeof *g);
}

/* Bins between edge[n+1] [keV], positive and ascending. Free it. */
static inline int xray_grid_make(xray_grid *g, const double *edge, int n, const xray_absorption *ism, char *err) {
    static const double at[3] = {-0.7745966692414834, 0, 0.7745966692414834};
    static const double share[3] = {5.0 / 18, 4.0 / 9, 5.0 / 18};
    memset(g, 0, sizeof *g);
    g->n = n;
    g->ism = ism;
    g->edge = xray_alloc((size_t)n + 1, 14 * sizeof(double));
    if (!g->edge) {
        return error_set(err, "out of memory");
    }
    g->log_mid = g->edge + n + 1;
    g->log_ratio = g->log_mid + n;
    g->sigma = g->log_ratio + n;
    g->gas = g->sigma + n;
    g->node = g->gas + n;
    g->log_node = g->node + 3 * n;
    g->weight = g->log_node + 3 * n;
    memcpy(g->edge, edge, ((size_t)n + 1) * sizeof *edge);
    for (int i = 0; i < n; i++) {
        double lo = edge[i];
        double hi = edge[i + 1];
        g->log_mid[i] = 0.5 * (log(lo) + log(hi));
        g->log_ratio[i] = log(hi / lo);
        g->widest = fmax(g->widest, g->log_ratio[i]);
        for (int k = 0; k < 3; k++) {
            double e = 0.5 * (lo + hi) + 0.5 * (hi - lo) * at[k];
            g->node[k * n + i] = e;
            g->log_node[k * n + i] = log(e);
            g->weight[k * n + i] = share[k] * (hi - lo);
            g->sigma[i] += share[k] * xray_sigma(ism, 0, log(e));
            g->gas[i] += share[k] * xray_sigma(ism, 1, log(e));
        }
    }
    return 0;
}

/* n bins of equal ratio between lo and hi [keV]: for fluxes in a band. */
static inline int xray_grid_band(xray_grid *g, double lo, double hi, int n, const xray_absorption *ism, char *err) {
    if (!(lo > 0 && hi > lo && isfinite(hi))) {
        return error_set(err, "band %g to %g keV: needs 0 < low < high", lo, hi);
    }
    double *edge;
    edge = xray_alloc((size_t)n + 1, sizeof *edge);
    if (!edge) {
        return error_set(err, "out of memory");
    }
    for (int i = 0; i <= n; i++)
        edge[i] = lo * exp(log(hi / lo) * i / n);
    int bad = xray_grid_make(g, edge, n, ism, err);
    free(edge);
    return bad;
}

/* ==== models: components ========================================================================================== */

enum {
    XRAY_TBABS,
    XRAY_PHABS,
    XRAY_ZTBABS,
    XRAY_ZPHABS,
    XRAY_CONSTANT,
    XRAY_POWERLAW,
    XRAY_ZPOWERLW,
    XRAY_BKNPOWER,
    XRAY_CUTOFFPL,
    XRAY_LOGPAR,
    XRAY_PEGPWRLW,
    XRAY_BBODYRAD,
    XRAY_DISKBB,
    XRAY_GAUSSIAN,
    XRAY_CFLUX,
    XRAY_N_KINDS,
    XRAY_EXTRA = 1000, /* and above: components of the library */
    XRAY_PARS = 12,    /* of one component */
    XRAY_MAX_PARTS = 16,
    XRAY_MAX_PAR = 64,
    XRAY_NAME = 32,
    XRAY_DISK_N = 400
};

/* lo and hi bound what a fit may find: the hard limits of XSPEC. Where it begins to search is from ... to. log: both
   are taken in the logarithm; lo may be 0 all the same, and is tried at the end. */
typedef struct xray_par {
    char name[XRAY_NAME];
    const char *unit;
    double lo, hi, from, to;
    int log;
    int fixed; /* unless freed: at `value` */
    double value;
    int coarse; /* smooth only over steps of a thousandth of the search range: derivatives take those */
} xray_par;

/* What a component does with its neighbours. */
enum { XRAY_ADDS, XRAY_MULTIPLIES, XRAY_CONVOLVES };

static const struct xray_kind {
    const char *name;
    int how, n_par;
    xray_par par[4];
} xray_kinds[XRAY_N_KINDS] = {
#define XRAY_NH \
    { "nH", "1e22 cm-2", 0, 1e6, 1e-4, 10, 1, 0, 0, 0 }
#define XRAY_Z \
    { "Redshift", "", 0, 10, 0, 5, 0, 1, 0, 0 }
#define XRAY_INDEX(name) \
    { name, "", -3, 10, 0, 5, 0, 0, 0, 0 }
#define XRAY_NORM(unit, from, to) \
    { "norm", unit, 0, 1e24, from, to, 1, 0, 0, 0 }
    {"tbabs", XRAY_MULTIPLIES, 1, {XRAY_NH}},
    {"phabs", XRAY_MULTIPLIES, 1, {XRAY_NH}},
    {"ztbabs", XRAY_MULTIPLIES, 2, {XRAY_NH, XRAY_Z}},
    {"zphabs", XRAY_MULTIPLIES, 2, {XRAY_NH, XRAY_Z}},
    {"constant", XRAY_MULTIPLIES, 1, {{"factor", "", 0, 1e10, 0.5, 2, 1, 1, 1, 0}}},
    {"powerlaw", XRAY_ADDS, 2, {XRAY_INDEX("PhoIndex"), XRAY_NORM("ph/keV/cm2/s", 1e-7, 100)}},
    {"zpowerlw", XRAY_ADDS, 3, {XRAY_INDEX("PhoIndex"), XRAY_Z, XRAY_NORM("ph/keV/cm2/s", 1e-7, 100)}},
    {"bknpower",
     XRAY_ADDS,
     4,
     {XRAY_INDEX("PhoIndx1"),
      {"BreakE", "keV", 1e-2, 1e12, 0.3, 30, 1, 0, 0, 0},
      XRAY_INDEX("PhoIndx2"),
      XRAY_NORM("ph/keV/cm2/s", 1e-7, 100)}},
    {"cutoffpl",
     XRAY_ADDS,
     3,
     {{"PhoIndex", "", -3, 10, -2, 5, 0, 0, 0, 0},
      {"HighECut", "keV", 1e-2, 1e12, 0.1, 500, 1, 0, 0, 0},
      XRAY_NORM("ph/keV/cm2/s", 1e-7, 100)}},
    {"logpar",
     XRAY_ADDS,
     4,
     {XRAY_INDEX("alpha"),
      {"beta", "", -4, 4, -2, 2, 0, 0, 0, 0},
      {"pivotE", "keV", 1e-3, 1e12, 0.1, 10, 1, 1, 1, 0},
      XRAY_NORM("ph/keV/cm2/s", 1e-7, 100)}},
    {"pegpwrlw",
     XRAY_ADDS,
     4,
     {XRAY_INDEX("PhoIndex"),
      {"eMin", "keV", 1e-6, 1e12, 0.1, 10, 1, 1, 2, 0},
      {"eMax", "keV", 1e-6, 1e12, 0.1, 10, 1, 1, 10, 0},
      XRAY_NORM("1e-12 erg/cm2/s", 1e-4, 1e4)}},
    {"bbodyrad", XRAY_ADDS, 2, {{"kT", "keV", 1e-4, 200, 0.02, 10, 1, 0, 0, 0}, XRAY_NORM("km2/(10 kpc)2", 1e-4, 1e6)}},
    {"diskbb", XRAY_ADDS, 2, {{"Tin", "keV", 1e-3, 1000, 0.02, 10, 1, 0, 0, 0}, XRAY_NORM("km2/(10 kpc)2", 1e-4, 1e8)}},
    {"gaussian",
     XRAY_ADDS,
     3,
     {{"LineE", "keV", 0, 1e6, 0.3, 10, 0, 0, 0, 0},
      {"Sigma", "keV", 0, 20, 1e-3, 1, 1, 0, 0, 0},
      XRAY_NORM("ph/cm2/s", 1e-8, 10)}},
    {"cflux",
     XRAY_CONVOLVES,
     3,
     {{"Emin", "keV", 1e-6, 1e12, 0.1, 10, 1, 1, 0.5, 0},
      {"Emax", "keV", 1e-6, 1e12, 0.1, 10, 1, 1, 10, 0},
      {"lg10Flux", "log10 erg/cm2/s", -100, 100, -16, -7, 0, 0, 0, 0}}},
#undef XRAY_NH
#undef XRAY_Z
#undef XRAY_INDEX
#undef XRAY_NORM
};

/* A component from elsewhere: a table, another header's physics. eval fills out[n], photons/(cm2 s) in each bin or a
   factor; NaN where it fails. It is called by several threads at once (thread_number() tells them apart). */
typedef struct xray_extra {
    char name[XRAY_NAME];
    int how, n_par;
    xray_par par[XRAY_PARS];
    void (*eval)(double *out, const xray_grid *g, const double *par, void *user);
    void *user;
} xray_extra;

enum { XRAY_MAX_EXTRAS = 12 };

/* The extras that expressions may name. load, unless NULL, makes the extra of `name{file}`: its number, or -1 and err.
   The caller's; it must outlive the models. */
typedef struct xray_library {
    int n;
    xray_extra extra[XRAY_MAX_EXTRAS];
    int (*load)(struct xray_library *l, const char *name, const char *file, char *err);
    void *user; /* of load */
} xray_library;

typedef struct xray_part {
    int kind, first; /* component (XRAY_EXTRA + number in the library), its first parameter */
} xray_part;

typedef struct xray_model {
    char text[256];
    int n_part, n_par, n_op, depth; /* depth: arrays that evaluation needs at once */
    xray_part part[XRAY_MAX_PARTS];
    xray_par par[XRAY_MAX_PAR];
    int op[3 * XRAY_MAX_PARTS]; /* postfix: a part's number, XRAY_PLUS, XRAY_TIMES, or XRAY_SCALES - a part's number */
    int from[3 * XRAY_MAX_PARTS]; /* of XRAY_SCALES: where the expression begins that it scales */
    double disk[XRAY_DISK_N];     /* see xray_disk_table; zero unless the model has a diskbb */
    const xray_library *library;
} xray_model;

static inline int xray_part_n_par(const xray_model *m, int part) {
    int kind = m->part[part].kind;
    return kind >= XRAY_EXTRA ? m->library->extra[kind - XRAY_EXTRA].n_par : xray_kinds[kind].n_par;
}

/* The disc: with x = E/Tin the integral is x^(-8/3) G(x), G(x) = integral_x^infinity u^(5/3)/(exp(u) - 1) du.
   Tabulated is ln G(x) + x, which is smooth, over equal steps in ln x; G(0) = Gamma(8/3) zeta(8/3). */
static const double xray_disk_lo = -13, xray_disk_step = 0.05;

static inline void xray_disk_table(double *table) {
    static const double at[3] = {-0.7745966692414834, 0, 0.7745966692414834};
    static const double share[3] = {5.0 / 18, 4.0 / 9, 5.0 / 18};
    double top = exp(xray_disk_lo + xray_disk_step * (XRAY_DISK_N - 1));
    double scaled = pow(top, 5.0 / 3) * (1 + 5 / (3 * top) + 10 / (9 * top * top)); /* G e^x, asymptotic */
    table[XRAY_DISK_N - 1] = log(scaled);
    for (int i = XRAY_DISK_N - 2; i >= 0; i--) { /* G(x) e^x = G(x') e^x + integral_x^x' u^(5/3) e^x/(e^u - 1) du */
        double x = exp(xray_disk_lo + xray_disk_step * i);
        double next = exp(xray_disk_lo + xray_disk_step * (i + 1));
        double sum = 0;
        int parts = 1 + (int)(4 * fmin(next - x, 30));
        for (int p = 0; p < parts; p++) {
            double a = x + (next - x) * p / parts;
            double b = x + (next - x) * (p + 1) / parts;
            for (int k = 0; k < 3; k++) {
                double u = 0.5 * (a + b) + 0.5 * (b - a) * at[k];
                sum += share[k] * (b - a) * pow(u, 5.0 / 3) * exp(x - u) / -expm1(-u);
            }
        }
        scaled = scaled * exp(x - next) + sum;
        table[i] = log(scaled);
    }
}

/* ln G(x) by cubics through four points. */
static inline double xray_disk(const double *table, double log_x) {
    double at = (log_x - xray_disk_lo) / xray_disk_step;
    if (at < 1) {
        return table[0];
    }
    if (at > XRAY_DISK_N - 3) {
        return -700;
    }
    int i = (int)at;
    const double *y = table + i;
    double t = at - i;
    double m = 0.5 * (y[1] - y[-1]);
    double p = 0.5 * (y[2] - y[0]);
    return y[0] + t * (m + t * (3 * (y[1] - y[0]) - 2 * m - p + t * (2 * (y[0] - y[1]) + m + p))) - exp(log_x);
}

/* K exp(slope ln E) over each bin: K m^(slope + 1) L sinh(u)/u with m the geometric middle, L = ln(hi/lo), u = (slope
   + 1) L/2. */
static inline void xray_power(double *out, const xray_grid *g, double norm, double slope) {
    double s = slope + 1;
    double u_top = fabs(s) * g->widest / 2;
    for (int i = 0; i < g->n; i++)
        out[i] = s * g->log_mid[i];
    xray_exp(out, out, g->n);
    if (u_top > 0.5) {
        for (int i = 0; i < g->n; i++) {
            double u = 0.5 * s * g->log_ratio[i];
            out[i] *= norm * g->log_ratio[i] * (fabs(u) > 1e-4 ? sinh(u) / u : 1);
        }
        return;
    }
    for (int i = 0; i < g->n; i++) { /* the series to u^10: 1e-12 at u = 0.5 */
        double u = 0.5 * s * g->log_ratio[i];
        double v = u * u;
        out[i] *= norm * g->log_ratio[i] * (1 + v / 6 * (1 + v / 20 * (1 + v / 42 * (1 + v / 72 * (1 + v / 110)))));
    }
}

/* out[i] += the sum over nodes of f weight: f[3][n]. */
static inline void xray_quadrature(double *out, const xray_grid *g, const double *f, double norm) {
    int n = g->n;
    for (int i = 0; i < n; i++)
        out[i] = norm * (f[i] * g->weight[i] + f[n + i] * g->weight[n + i] + f[2 * n + i] * g->weight[2 * n + i]);
}

static const double xray_erg = 1.602176634e-9; /* of a keV */
static const double xray_planck = 1.0344e-3;   /* photons/(cm2 s keV^3), see above */

static inline void xray_bbodyrad(double *out, const xray_grid *g, double kt, double norm, double *f) {
    int n = 3 * g->n;
    if (!(kt > 0)) {
        norm = 0;
        kt = 1;
    }
    for (int i = 0; i < n; i++)
        f[i] = g->node[i] / kt;
    xray_exp(f, f, n);
    for (int i = 0; i < n; i++)
        f[i] = g->node[i] * g->node[i] / (f[i] - 1);
    xray_quadrature(out, g, f, norm * xray_planck);
}

static inline void xray_diskbb(double *out, const xray_grid *g, double tin, double norm, const double *table,
                               double *f) {
    double log_t = tin > 0 ? log(tin) : 0;
    int n = 3 * g->n;
    if (!(tin > 0)) {
        norm = 0;
    }
    for (int i = 0; i < n; i++) {
        double log_x = g->log_node[i] - log_t;
        f[i] = 2 * g->log_node[i] - 8.0 / 3 * log_x + xray_disk(table, log_x);
    }
    xray_exp(f, f, n);
    xray_quadrature(out, g, f, norm * xray_planck * 8 / 3);
}

static inline void xray_gaussian(double *out, const xray_grid *g, double line, double sigma, double norm) {
    double below = 0;
    for (int i = 0; i <= g->n; i++) { /* the normal distribution up to each edge */
        double z = sigma > 0 ? (g->edge[i] - line) / (sigma * 1.4142135623730951) : g->edge[i] < line ? -30 : 30;
        double up_to = z < -6 ? 0 : z > 6 ? 1 : 0.5 * erfc(-z);
        if (i > 0) {
            out[i - 1] = norm * (up_to - below);
        }
        below = up_to;
    }
}

/* exp(-nH sigma((1 + z) E)), sigma the mean over each bin. The nodes ascend, and so does the place in the table. */
static inline void xray_absorb(double *out, const xray_grid *g, double nh, double z, int gas) {
    static const double share[3] = {5.0 / 18, 4.0 / 9, 5.0 / 18};
    const double *mean = gas ? g->gas : g->sigma;
    const double *x = gas ? g->ism->gas_e : g->ism->log_e;
    const double *y = gas ? g->ism->gas_sigma : g->ism->log_sigma;
    int last = (gas ? g->ism->n_gas : g->ism->n) - 2;
    double shift = log1p(z);
    int shifted = fabs(z) > 0;
    for (int i = 0; i < g->n && !shifted; i++)
        out[i] = -nh * mean[i];
    for (int i = 0, at = 0; i < g->n && shifted; i++) {
        double sum = 0;
        for (int k = 0; k < 3; k++) {
            double e = g->log_node[k * g->n + i] + shift;
            while (at < last && x[at + 1] <= e)
                at++;
            if (e < xray_log_rydberg) {
                continue;
            }
            sum += share[k] * exp(y[at] + (e - x[at]) * (y[at + 1] - y[at]) / (x[at + 1] - x[at]));
        }
        out[i] = -nh * sum;
    }
    xray_exp(out, out, g->n);
}

/* Integral of E^slope over lo ... hi. */
static inline double xray_power_integral(double lo, double hi, double slope) {
    double s = slope + 1;
    double u = s * log(hi / lo);
    return pow(lo, s) * log(hi / lo) * (fabs(u) > 1e-8 ? expm1(u) / u : 1 + 0.5 * u);
}

/* Two power laws that meet at the break, exactly, in the bin with the break, too. */
static inline void xray_bknpower(double *out, const xray_grid *g, const double *p, double *f) {
    double bend = p[1];
    int n = g->n;
    xray_power(out, g, p[3], -p[0]);
    xray_power(f, g, p[3] * pow(bend, p[2] - p[0]), -p[2]);
    for (int i = 0; i < n; i++) {
        double lo = g->edge[i];
        double hi = g->edge[i + 1];
        if (lo >= bend) {
            out[i] = f[i];
        }
        if (lo < bend && hi > bend) {
            out[i] = p[3] * (xray_power_integral(lo, bend, -p[0]) +
                             pow(bend, p[2] - p[0]) * xray_power_integral(bend, hi, -p[2]));
        }
    }
}

/* A power law whose energy flux from eMin to eMax is norm 1e-12 erg/(cm2 s). */
static inline void xray_pegpwrlw(double *out, const xray_grid *g, const double *p) {
    double kev = xray_power_integral(p[1], p[2], 1 - p[0]);
    xray_power(out, g, p[2] > p[1] && p[1] > 0 ? p[3] * 1e-12 / (kev * xray_erg) : (double)NAN, -p[0]);
}

/* One component into out[n]; f[3][n] is scratch. */
static inline void xray_part_eval(double *out, const xray_model *m, int part, const xray_grid *g, const double *par,
                                  double *f) {
    const double *p = par + m->part[part].first;
    int n = g->n;
    int kind = m->part[part].kind;
    switch (kind) {
    case XRAY_TBABS: xray_absorb(out, g, p[0], 0, 0); return;
    case XRAY_PHABS: xray_absorb(out, g, p[0], 0, 1); return;
    case XRAY_ZTBABS: xray_absorb(out, g, p[0], p[1], 0); return;
    case XRAY_ZPHABS: xray_absorb(out, g, p[0], p[1], 1); return;
    case XRAY_CONSTANT:
        for (int i = 0; i < n; i++)
            out[i] = p[0];
        return;
    case XRAY_POWERLAW: xray_power(out, g, p[1], -p[0]); return;
    case XRAY_ZPOWERLW: xray_power(out, g, p[2] * pow(1 + p[1], -p[0]), -p[0]); return;
    case XRAY_BKNPOWER: xray_bknpower(out, g, p, f); return;
    case XRAY_CUTOFFPL: {
        double rate = p[1] > 0 ? 1 / p[1] : 0;
        for (int i = 0; i < 3 * n; i++)
            f[i] = -p[0] * g->log_node[i] - g->node[i] * rate;
        xray_exp(f, f, 3 * n);
        xray_quadrature(out, g, f, p[1] > 0 ? p[2] : 0);
        return;
    }
    case XRAY_LOGPAR: {
        double pivot = p[2] > 0 ? log(p[2]) : (double)NAN;
        for (int i = 0; i < 3 * n; i++) {
            double log_x = g->log_node[i] - pivot;
            f[i] = -(p[0] + p[1] * 0.43429448190325183 * log_x) * log_x;
        }
        xray_exp(f, f, 3 * n);
        xray_quadrature(out, g, f, p[3]);
        return;
    }
    case XRAY_PEGPWRLW: xray_pegpwrlw(out, g, p); return;
    case XRAY_BBODYRAD: xray_bbodyrad(out, g, p[0], p[1], f); return;
    case XRAY_DISKBB: xray_diskbb(out, g, p[0], p[1], m->disk, f); return;
    case XRAY_GAUSSIAN: xray_gaussian(out, g, p[0], p[1], p[2]); return;
    default: {
        const xray_extra *e = &m->library->extra[kind - XRAY_EXTRA];
        e->eval(out, g, p, e->user);
    }
    }
}

/* ==== models: expressions =========================================================================================
   sum = product { "+" product }     product = factor { "*" factor }     factor = name | name "(" sum ")" | "(" sum ")"
   Read by recursive descent into postfix. Every value is additive (photons) or multiplies (a factor). */

enum { XRAY_PLUS = -1, XRAY_TIMES = -2, XRAY_SCALES = -3, XRAY_NESTED = 32 };

typedef struct xray_parser {
    xray_model *m;
    xray_library *library;
    const char *start, *at;
    int nested, depth;
    char *err;
} xray_parser;

COMMON_PRINTF(3, 4) static inline int xray_parse_fail(xray_parser *p, const char *at, const char *fmt, ...) {
    va_list ap;
    int n = snprintf(p->err, ERROR_SIZE, "model '%.200s', character %d: ", p->start, (int)(at - p->start) + 1);
    va_start(ap, fmt);
    vsnprintf(p->err + n, (size_t)(ERROR_SIZE - n), fmt, ap);
    va_end(ap);
    return -1;
}

static inline char xray_parse_next(xray_parser *p) {
    while (is_space(*p->at))
        p->at++;
    return *p->at;
}

static inline void xray_emit(xray_parser *p, int op) {
    p->m->op[p->m->n_op++] = op;
    p->depth += op >= 0 ? 1 : op > XRAY_SCALES ? -1 : 0;
    if (p->depth > p->m->depth) {
        p->m->depth = p->depth;
    }
}

/* Edits (a letter more, less, or another) that make b of a[n], in any case of letters. */
static inline int xray_edits(const char *a, size_t n, const char *b) {
    int row[XRAY_NAME + 1];
    int m = (int)strlen(b);
    for (int k = 0; k <= m; k++)
        row[k] = k;
    for (size_t i = 0; i < n && i < XRAY_NAME; i++) {
        int diagonal = row[0]++;
        for (int k = 0; k < m; k++) {
            int other = diagonal + (xray_lower(a[i]) != xray_lower(b[k]));
            diagonal = row[k + 1];
            if (row[k] + 1 < other) {
                other = row[k] + 1;
            }
            row[k + 1] = row[k + 1] + 1 < other ? row[k + 1] + 1 : other;
        }
    }
    return row[m];
}

/* Name of a component by its number: those of this file, then those of the library. */
static inline const char *xray_kind_name(const xray_library *l, int k) {
    if (k < XRAY_N_KINDS) {
        return xray_kinds[k].name;
    }
    return l && k - XRAY_N_KINDS < l->n ? l->extra[k - XRAY_N_KINDS].name : NULL;
}

/* The component called name[n], in any case; or the only one that begins so, as XSPEC has it ('po' is the power law).
   -1: none, with the nearest name in hint[XRAY_NAME]. */
static inline int xray_kind_find(const xray_library *l, const char *name, size_t n, char *hint) {
    int found = -1;
    int least = 100;
    const char *known;
    for (int k = 0; (known = xray_kind_name(l, k)) != NULL; k++) {
        size_t length = strlen(known);
        int same = n <= length;
        for (size_t i = 0; same && i < n; i++)
            same = xray_lower(name[i]) == xray_lower(known[i]);
        if (same && n == length) {
            return k;
        }
        if (same && n > 1) {
            found = found == -1 ? k : -2;
        }
        int edits = xray_edits(name, n, known);
        if (edits < least) {
            least = edits;
            snprintf(hint, XRAY_NAME, "%s", known);
        }
    }
    if (least > 3 || least >= (int)n) {
        hint[0] = 0;
    }
    return found < 0 ? -1 : found;
}

static inline int xray_parse_unknown(xray_parser *p, const char *begin, size_t length, const char *hint) {
    char all[300] = "";
    const char *known;
    for (int k = 0; (known = xray_kind_name(p->library, k)) != NULL; k++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", k ? ", " : "", known);
    }
    return xray_parse_fail(p, begin, "no component is called '%.*s'%s%s%s (%s)", length < 40 ? (int)length : 40, begin,
                           *hint ? ": did you mean '" : "", hint, *hint ? "'?" : "", all);
}

/* `name{file}`: asks the library. Returns the component's number, or -1. */
static inline int xray_parse_file(xray_parser *p, const char *begin, size_t length) {
    const char *end = strchr(p->at, '}');
    char name[XRAY_NAME];
    char file[256];
    char why[ERROR_SIZE];
    if (!end || end - p->at >= (int)sizeof file) {
        return xray_parse_fail(p, p->at, "this brace is not closed");
    }
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), begin);
    snprintf(file, sizeof file, "%.*s", (int)(end - p->at) - 1, p->at + 1);
    if (!p->library || !p->library->load) {
        return xray_parse_fail(p, begin, "no tables can be read here");
    }
    int number = p->library->load(p->library, name, file, why);
    if (number < 0) {
        return xray_parse_fail(p, begin, "%.250s", why);
    }
    p->at = end + 1;
    return XRAY_N_KINDS + number;
}

/* The part with its parameters. k: number among this file's components and the library's. */
static inline void xray_parse_add(xray_parser *p, int k, int *how) {
    xray_model *m = p->m;
    const xray_extra *extra = k < XRAY_N_KINDS ? NULL : &p->library->extra[k - XRAY_N_KINDS];
    int kind = extra ? XRAY_EXTRA + k - XRAY_N_KINDS : k;
    int n_par = extra ? extra->n_par : xray_kinds[k].n_par;
    int same = 1;
    for (int i = 0; i < m->n_part; i++)
        same += m->part[i].kind == kind;
    m->part[m->n_part].kind = kind;
    m->part[m->n_part].first = m->n_par;
    for (int i = 0; i < n_par; i++) {
        xray_par *par = &m->par[m->n_par++];
        char number[12] = "";
        *par = extra ? extra->par[i] : xray_kinds[k].par[i];
        if (same > 1) {
            snprintf(number, sizeof number, "%d", same);
        }
        snprintf(par->name, sizeof par->name, "%.12s%.3s.%.14s", xray_kind_name(p->library, k), number,
                 extra ? extra->par[i].name : xray_kinds[k].par[i].name);
    }
    if (kind == XRAY_DISKBB && same == 1) {
        xray_disk_table(m->disk);
    }
    *how = extra ? extra->how : xray_kinds[k].how;
    m->n_part++;
}

/* A component's name: adds the part with its parameters. */
static inline int xray_parse_name(xray_parser *p, int *how) {
    const char *begin = p->at;
    char hint[XRAY_NAME] = "";
    while ((*p->at >= 'a' && *p->at <= 'z') || (*p->at >= 'A' && *p->at <= 'Z') || *p->at == '_')
        p->at++;
    size_t length = (size_t)(p->at - begin);
    if (!length) {
        return xray_parse_fail(p, begin, *begin ? "a component or '(' is expected here" : "it ends too early");
    }
    int k = *p->at == '{' ? xray_parse_file(p, begin, length) : xray_kind_find(p->library, begin, length, hint);
    if (k < 0) {
        return p->err[0] ? -1 : xray_parse_unknown(p, begin, length, hint);
    }
    if (p->m->n_part == XRAY_MAX_PARTS || p->m->n_par > XRAY_MAX_PAR - XRAY_PARS) {
        return xray_parse_fail(p, begin, "more than %d components, or too many parameters", (int)XRAY_MAX_PARTS);
    }
    xray_parse_add(p, k, how);
    if (*how != XRAY_CONVOLVES) {
        xray_emit(p, p->m->n_part - 1);
    }
    return 0;
}

static inline int xray_parse_sum(xray_parser *p, int *multiplies);
static inline int xray_parse_product(xray_parser *p, int *multiplies);

static inline int xray_parse_factor(xray_parser *p, int *multiplies) {
    if (xray_parse_next(p) != '(') {
        return xray_parse_name(p, multiplies);
    }
    const char *open = p->at++;
    if (p->nested++ == XRAY_NESTED) {
        return xray_parse_fail(p, open, "parentheses nested too deeply");
    }
    if (xray_parse_sum(p, multiplies)) {
        return -1;
    }
    if (xray_parse_next(p) != ')') {
        return xray_parse_fail(p, open, "this parenthesis is not closed");
    }
    p->at++;
    p->nested--;
    return 0;
}

/* What a convolution works on: the rest of the product. */
static inline int xray_parse_convolved(xray_parser *p, int part, int *how) {
    const char *sign = p->at;
    int from = p->m->n_op;
    if (xray_parse_next(p) == '*') {
        p->at++;
    }
    if (xray_parse_product(p, how)) {
        return -1;
    }
    if (*how != XRAY_ADDS) {
        return xray_parse_fail(p, sign, "there is nothing that emits behind it");
    }
    xray_emit(p, XRAY_SCALES - part);
    p->m->from[p->m->n_op - 1] = from;
    return 0;
}

static inline int xray_parse_product(xray_parser *p, int *multiplies) {
    if (xray_parse_factor(p, multiplies)) {
        return -1;
    }
    if (*multiplies == XRAY_CONVOLVES) {
        return xray_parse_convolved(p, p->m->n_part - 1, multiplies);
    }
    while (xray_parse_next(p) == '*' || *p->at == '(') {
        const char *sign = p->at;
        if (*sign == '*') {
            p->at++;
        }
        int other;
        if (xray_parse_factor(p, &other)) {
            return -1;
        }
        if (other == XRAY_CONVOLVES && xray_parse_convolved(p, p->m->n_part - 1, &other)) {
            return -1;
        }
        if (!*multiplies && !other) {
            return xray_parse_fail(p, sign, "two additive components cannot be multiplied (add them with '+')");
        }
        *multiplies = *multiplies && other;
        xray_emit(p, XRAY_TIMES);
    }
    return 0;
}

static inline int xray_parse_sum(xray_parser *p, int *multiplies) {
    if (xray_parse_product(p, multiplies)) {
        return -1;
    }
    while (xray_parse_next(p) == '+') {
        const char *sign = p->at++;
        int other;
        if (xray_parse_product(p, &other)) {
            return -1;
        }
        if (*multiplies || other) {
            return xray_parse_fail(p, sign, "only additive components can be added (multiply this one with '*')");
        }
        xray_emit(p, XRAY_PLUS);
    }
    return 0;
}

/* Reads an expression, with the components of a library (or NULL). The model owns no memory: copy it as you like. */
static inline int xray_model_parse_with(xray_model *m, const char *text, xray_library *library, char *err) {
    xray_parser p = {m, library, text, text, 0, 0, err};
    int multiplies = 0;
    memset(m, 0, sizeof *m);
    m->library = library;
    err[0] = 0;
    if (strlen(text) >= sizeof m->text) {
        return error_set(err, "model '%.60s...': longer than %d characters", text, (int)sizeof m->text - 1);
    }
    strcpy(m->text, text);
    if (xray_parse_sum(&p, &multiplies)) {
        return -1;
    }
    if (xray_parse_next(&p)) {
        return xray_parse_fail(&p, p.at, "'%c' is not expected here", *p.at);
    }
    if (multiplies) {
        return xray_parse_fail(&p, p.at, "nothing in it emits: multiply a powerlaw, bbodyrad, ...");
    }
    return 0;
}

static inline int xray_model_parse(xray_model *m, const char *text, char *err) {
    return xray_model_parse_with(m, text, NULL, err);
}

/* Number of a parameter by its name, whole (powerlaw.norm) or short where that is clear (PhoIndex); -1: none, -2:
   several. */
static inline int xray_model_find(const xray_model *m, const char *name) {
    int found = -1;
    for (int i = 0; i < m->n_par; i++) {
        const char *dot = strchr(m->par[i].name, '.');
        if (!strcmp(m->par[i].name, name)) {
            return i;
        }
        if (dot && !strcmp(dot + 1, name)) {
            found = found == -1 ? i : -2;
        }
    }
    return found;
}

/* Sum over bins of photons times the geometric middle of the bin [keV/(cm2 s)]. */
static inline double xray_energy(const double *flux, const xray_grid *g) {
    double sum = 0;
    for (int i = 0; i < g->n; i++)
        sum += flux[i] * sqrt(g->edge[i] * g->edge[i + 1]);
    return sum;
}

static inline void xray_model_run(double *stack, const xray_model *m, int from, int to, const xray_grid *g,
                                  const double *par, double *f);

/* What the expression of operations from ... to - 1 must be multiplied by to have the flux of a cflux p; NaN without
   memory or for no flux. */
static inline double xray_cflux(const xray_model *m, int from, int to, const xray_grid *g, const double *par,
                                const double *p) {
    enum { BINS = 300 };
    char err[ERROR_SIZE];
    double factor = (double)NAN;
    xray_grid band;
    if (xray_grid_band(&band, p[0], p[1], BINS, g->ism, err)) {
        return factor;
    }
    double *room = xray_alloc(BINS, (3 + (size_t)m->depth) * sizeof *room);
    if (room) {
        xray_model_run(room + 3 * BINS, m, from, to, &band, par, room);
        factor = pow(10, p[2]) / (xray_erg * xray_energy(room + 3 * BINS, &band));
    }
    free(room);
    xray_grid_free(&band);
    return factor;
}

/* Operations from ... to - 1, which make one value: stack[0 ... n - 1]; f[3][n] is scratch. */
static inline void xray_model_run(double *stack, const xray_model *m, int from, int to, const xray_grid *g,
                                  const double *par, double *f) {
    int n = g->n;
    int top = 0;
    for (int k = from; k < to; k++) {
        if (m->op[k] >= 0) {
            xray_part_eval(stack + (size_t)(top++) * (size_t)n, m, m->op[k], g, par, f);
            continue;
        }
        if (m->op[k] <= XRAY_SCALES) {
            double *a = stack + (size_t)(top - 1) * (size_t)n;
            const double *p = par + m->part[XRAY_SCALES - m->op[k]].first;
            double factor = xray_cflux(m, m->from[k], k, g, par, p);
            for (int i = 0; i < n; i++)
                a[i] *= factor;
            continue;
        }
        double *b = stack + (size_t)(--top) * (size_t)n;
        double *a = b - n;
        if (m->op[k] == XRAY_PLUS)
            for (int i = 0; i < n; i++)
                a[i] += b[i];
        else
            for (int i = 0; i < n; i++)
                a[i] *= b[i];
    }
}

/* flux[n] photons/(cm2 s) in each bin of the grid; par[n_par]; scratch[(3 + depth) n]. */
static inline void xray_model_eval(double *flux, const xray_model *m, const xray_grid *g, const double *par,
                                   double *scratch) {
    double *stack = scratch + 3 * (size_t)g->n;
    xray_model_run(stack, m, 0, m->n_op, g, par, scratch);
    memcpy(flux, stack, (size_t)g->n * sizeof *flux);
}

/* Does a component take photons away on their way to us? */
static inline int xray_absorbs(int kind) {
    return kind == XRAY_TBABS || kind == XRAY_PHABS || kind == XRAY_ZTBABS || kind == XRAY_ZPHABS;
}

/* Energy flux [erg/(cm2 s)] in the band of the grid (see xray_grid_band; 1000 bins make the rule's error negligible).
   absorbed = 0: without every tbabs, phabs, ztbabs, zphabs. scratch as above, with n more. */
static inline double xray_flux(const xray_model *m, const xray_grid *g, const double *par, int absorbed,
                               double *scratch) {
    double bare[XRAY_MAX_PAR];
    double *flux = scratch + (3 + (size_t)m->depth) * (size_t)g->n;
    memcpy(bare, par, (size_t)m->n_par * sizeof *par);
    for (int i = 0; i < m->n_part && !absorbed; i++)
        if (xray_absorbs(m->part[i].kind)) {
            bare[m->part[i].first] = 0;
        }
    xray_model_eval(flux, m, g, bare, scratch);
    return xray_energy(flux, g) * xray_erg;
}

/* ==== responses =================================================================================================== */

/* count channels from index `channel` (from 0) on, with their probabilities at matrix[at]. */
typedef struct xray_span {
    int channel, count;
    size_t at;
} xray_span;

typedef struct xray_response {
    int n_energy, n_channel, first_channel; /* first_channel: the number that PHA files give to index 0 */
    double *edge;                           /* [n_energy+1] keV */
    double *area;                           /* [n_energy] effective area [cm2]; 1 without an ARF */
    double *e_min, *e_max;                  /* [n_channel] nominal energies of the channels [keV] */
    int *row;                               /* [n_energy+1] spans of energy i: row[i] ... row[i+1]-1 */
    xray_span *span;                        /* [row[n_energy]] */
    float *matrix;                          /* [n_matrix] */
    size_t n_matrix;
    int full, redist;     /* HDUCLAS3 says that the matrix holds the effective area already; that it does not */
    char note[XRAY_NOTE]; /* what its reader has to say */
} xray_response;

static inline void xray_response_free(xray_response *r) {
    free(r->edge);
    free(r->area);
    free(r->e_min);
    free(r->e_max);
    free(r->row);
    free(r->span);
    free(r->matrix);
    memset(r, 0, sizeof *r);
}

/* Room for a response; the caller fills it. For responses from elsewhere than files. */
static inline int xray_response_room(xray_response *r, int n_energy, int n_channel, size_t n_span, size_t n_matrix,
                                     char *err) {
    memset(r, 0, sizeof *r);
    r->n_energy = n_energy;
    r->n_channel = n_channel;
    r->n_matrix = n_matrix;
    r->edge = xray_alloc((size_t)n_energy + 1, sizeof(double));
    r->area = xray_alloc((size_t)n_energy, sizeof(double));
    r->e_min = xray_alloc((size_t)n_channel, sizeof(double));
    r->e_max = xray_alloc((size_t)n_channel, sizeof(double));
    r->row = xray_alloc((size_t)n_energy + 1, sizeof(int));
    r->span = xray_alloc(n_span, sizeof *r->span);
    r->matrix = xray_alloc(n_matrix, sizeof(float));
    if (r->edge && r->area && r->e_min && r->e_max && r->row && r->span && r->matrix) {
        return 0;
    }
    xray_response_free(r);
    return error_set(err, "out of memory");
}

static const double xray_max_kev = 1e15; /* 1 EeV */

/* Spans inside the channels; numbers of the matrix: small negative ones are left by a fit of the calibration and stay,
   as long as they are below a hundredth of their row. */
static inline int xray_response_check_row(const xray_response *r, int i, const char *name, char *err) {
    double sum = 0;
    double negative = 0;
    for (int s = r->row[i]; s < r->row[i + 1]; s++) {
        const xray_span *p = &r->span[s];
        if (p->channel < 0 || p->count < 0 || p->count > r->n_channel || p->channel > r->n_channel - p->count) {
            return error_set(err, "%.300s: row %d: channels %d to %d are outside %d to %d", name, i + 1,
                             p->channel + r->first_channel, p->channel + p->count - 1 + r->first_channel,
                             r->first_channel, r->first_channel + r->n_channel - 1);
        }
        for (int k = 0; k < p->count; k++) {
            double v = (double)r->matrix[p->at + (size_t)k];
            if (!(fabs(v) < 1e30)) {
                return error_set(err, "%.300s: row %d: the matrix holds %g", name, i + 1, v);
            }
            sum += fmax(v, 0);
            negative += fmax(-v, 0);
        }
    }
    if (negative > 0.01 * sum) {
        return error_set(err, "%.300s: row %d: the matrix holds %g of negative among %g", name, i + 1, -negative, sum);
    }
    return 0;
}

/* What every response must be, wherever it comes from. */
static inline int xray_response_check(xray_response *r, const char *name, char *err) {
    const double most = xray_max_kev;
    for (int i = 0; i < r->n_energy; i++)
        if (!(r->edge[i] >= 0 && r->edge[i + 1] >= r->edge[i] && r->edge[i + 1] < most)) {
            return error_set(err, "%.300s: row %d: energies %g to %g keV do not ascend to at most %g keV", name, i + 1,
                             r->edge[i], r->edge[i + 1], most);
        }
    if (!(r->edge[r->n_energy] > r->edge[0])) {
        return error_set(err, "%.300s: all its energies are the same", name);
    }
    for (int i = 0, zero = 1; i < r->n_energy && zero; i++) { /* a power law has no integral from 0 */
        zero = r->edge[i] <= 0;
        if (zero && r->edge[i + 1] > 0) {
            r->edge[i] = 1e-3 * r->edge[i + 1];
        }
    }
    for (int i = r->n_energy; i > 0; i--) /* bins of no width at zero */
        if (r->edge[i - 1] <= 0) {
            r->edge[i - 1] = r->edge[i];
        }
    for (int i = 0; i < r->n_energy; i++) {
        if (!(r->area[i] >= 0 && r->area[i] < 1e30)) {
            return error_set(err, "%.300s: row %d: effective area %g cm2", name, i + 1, r->area[i]);
        }
        if (xray_response_check_row(r, i, name, err)) {
            return -1;
        }
    }
    for (int c = 0; c < r->n_channel; c++)
        if (!(r->e_min[c] >= 0 && r->e_max[c] >= r->e_min[c] && r->e_max[c] < most)) {
            return error_set(err, "%.300s: channel %d has energies %g to %g keV", name, c + r->first_channel,
                             r->e_min[c], r->e_max[c]);
        }
    return 0;
}

/* Full width at half maximum [channels] of the row that peaks near each channel: fwhm[n_channel]. 1 where no row does.
   */
static inline void xray_response_fwhm(double *fwhm, const xray_response *r) {
    for (int c = 0; c < r->n_channel; c++)
        fwhm[c] = 0;
    for (int i = 0; i < r->n_energy; i++) {
        double peak = 0;
        double from = 0;
        double to = 0;
        int at = -1;
        for (int s = r->row[i]; s < r->row[i + 1]; s++) {
            const xray_span *p = &r->span[s];
            const float *m = r->matrix + p->at;
            int best = -1;
            for (int k = 0; k < p->count; k++)
                if ((double)m[k] > peak) {
                    peak = (double)m[k];
                    best = k;
                }
            if (best < 0) {
                continue;
            }
            int a;
            for (a = best; a > 0 && (double)m[a - 1] >= 0.5 * peak; a--)
                continue;
            int b;
            for (b = best; b + 1 < p->count && (double)m[b + 1] >= 0.5 * peak; b++)
                continue;
            at = p->channel + best; /* the edges where a straight line crosses half the peak */
            from = a > 0 ? a - ((double)m[a] - 0.5 * peak) / (double)(m[a] - m[a - 1]) : a - 0.5;
            to = b + 1 < p->count ? b + ((double)m[b] - 0.5 * peak) / (double)(m[b] - m[b + 1]) : b + 0.5;
        }
        if (at >= 0) {
            fwhm[at] = fmax(fwhm[at], to - from);
        }
    }
    for (int c = 1; c < r->n_channel; c++) /* channels at which no row peaks: their neighbour's */
        if (!(fwhm[c] > 0)) {
            fwhm[c] = fwhm[c - 1];
        }
    for (int c = r->n_channel - 2; c >= 0; c--)
        if (!(fwhm[c] > 0)) {
            fwhm[c] = fwhm[c + 1];
        }
    for (int c = 0; c < r->n_channel; c++)
        fwhm[c] = fmax(fwhm[c], 1);
}

/* ==== spectra ===================================================================================================== */

typedef struct xray_pha {
    int n, first_channel;            /* channels, number of the first; they follow without gaps */
    double *counts;                  /* [n] */
    double *error, *systematic;      /* [n] standard deviation [counts]; fraction of the counts. NULL: none given */
    double *area_scale, *back_scale; /* [n] AREASCAL, BACKSCAL, above 0 */
    int *grouping, *quality;         /* [n] 1 begins a bin, -1 belongs to it, 0 stands alone; not 0: bad. NULL: none */
    double exposure;                 /* s */
    int exact;                       /* counts are counts, to which Poisson's law applies */
    int net;                         /* background is subtracted already */
    int hdu;                         /* extension of the file, 0: none */
    char note[XRAY_NOTE];            /* what its reader has to say */
    char background[PATH_SIZE], rmf[PATH_SIZE], arf[PATH_SIZE]; /* files that it names, "" for none */
    char name[PATH_SIZE];
} xray_pha;

static inline void xray_pha_free(xray_pha *p) {
    free(p->counts);
    free(p->error);
    free(p->systematic);
    free(p->area_scale);
    free(p->back_scale);
    free(p->grouping);
    free(p->quality);
    memset(p, 0, sizeof *p);
}

/* An empty spectrum of n channels: what `fakeit` fills. */
static inline int xray_pha_room(xray_pha *p, int n, int first_channel, double exposure, char *err) {
    memset(p, 0, sizeof *p);
    if (!(exposure > 0 && exposure < 1e30)) {
        return error_set(err, "exposure %g s must be positive", exposure);
    }
    p->n = n;
    p->first_channel = first_channel;
    p->exposure = exposure;
    p->exact = 1;
    p->counts = xray_alloc((size_t)n, sizeof(double));
    p->area_scale = xray_alloc((size_t)n, sizeof(double));
    p->back_scale = xray_alloc((size_t)n, sizeof(double));
    if (!p->counts || !p->area_scale || !p->back_scale) {
        xray_pha_free(p);
        return error_set(err, "out of memory");
    }
    for (int i = 0; i < n; i++)
        p->area_scale[i] = p->back_scale[i] = 1;
    return 0;
}

#include "xray_ogip.h" /* xray_pha_read, xray_pha_write, xray_response_read, xray_absorption_read */

/* ==== binning ===================================================================================================== */

enum { XRAY_GROUP_FILE, XRAY_GROUP_NONE, XRAY_GROUP_EVERY, XRAY_GROUP_MIN, XRAY_GROUP_OPTIMAL, XRAY_GROUP_GIVEN };

typedef struct xray_binning {
    double e_lo, e_hi; /* keep bins that lie inside, by EBOUNDS [keV]; both 0: all */
    int how; /* FILE: its GROUPING, or single channels; EVERY: `every` channels; MIN: at least `counts` counts;
                           OPTIMAL: Kaastra & Bleeker 2016, and at least `counts` */
    int every;
    double counts;
    double systematic; /* error, a fraction of the counts, for chi2 */
    int keep_bad;      /* keep channels whose QUALITY is not 0 */
    const int *given;  /* GIVEN: [n_given] the bin of every channel of the response, -1 for none */
    int n_given;
} xray_binning;

/* Best bin width in units of the FWHM, for a resolution element with n counts among r of them: Kaastra & Bleeker 2016,
   A&A 587, A151, eq. 36 and 37. */
static inline double xray_optimal_width(double n, double r) {
    double x = log(n * (1 + 0.20 * log(r)));
    return x > 2.119 ? (0.08 + 7.0 / x + 1.8 / (x * x)) / (1 + 5.9 / x) : 1; /* below, and for no counts */
}

/* width[n_channel]: the widest bin that each channel may be in [channels]. */
static inline int xray_optimal(double *width, const xray_response *r, const double *counts, char *err) {
    int n = r->n_channel;
    double *fwhm = xray_alloc((size_t)n, sizeof *fwhm);
    double *sum = xray_alloc((size_t)n + 1, sizeof *sum);
    double elements = 0;
    if (fwhm && sum) {
        xray_response_fwhm(fwhm, r);
        for (int c = 0; c < n; c++) {
            elements += 1 / fwhm[c];
            sum[c + 1] = sum[c] + counts[c];
        }
        for (int c = 0; c < n; c++) {
            int from = (int)fmax(0, c - 0.5 * fwhm[c] + 0.5);
            int to = (int)fmin(n, c + 0.5 * fwhm[c] + 0.5);
            double inside = to > from ? (sum[to] - sum[from]) * fwhm[c] / (to - from) : counts[c] * fwhm[c];
            width[c] = fmax(1, fwhm[c] * xray_optimal_width(inside, fmax(elements, 1)));
        }
    }
    free(fwhm);
    free(sum);
    return fwhm && sum ? 0 : error_set(err, "out of memory");
}

/* bin[n_channel] of each channel, -1 for those left out; counts[n_channel], first channel kept ... last, from the
   energy range. Returns the number of bins, 0 when none is left, or -1. */
static inline int xray_bins(int *bin, const xray_binning *b, const xray_response *r, const double *counts,
                            const int *grouping, char *err) {
    int n = r->n_channel;
    int bins = 0;
    int size = 0;
    double held = 0;
    double *width = NULL;
    int how = b->how == XRAY_GROUP_FILE && !grouping ? XRAY_GROUP_NONE : b->how;
    if (how == XRAY_GROUP_OPTIMAL) {
        width = xray_alloc((size_t)n, sizeof *width);
        if (!width) {
            return error_set(err, "out of memory");
        }
        if (xray_optimal(width, r, counts, err)) {
            free(width);
            return -1;
        }
    }
    for (int c = 0; c < n; c++) {
        double narrowest = width ? width[c] : 0;
        if (how == XRAY_GROUP_FILE && grouping[c] >= 0 && size > 0) { /* a bad channel may begin a bin, too */
            bins++;
            size = 0;
        }
        if (bin[c] < 0) {
            continue; /* the caller's: bad, or outside the range */
        }
        bin[c] = bins;
        held += counts[c];
        size++;
        for (int k = c; width && k > c - size; k--)
            narrowest = fmin(narrowest, width[k]);
        if (width && c + 1 < n) {
            narrowest = fmin(narrowest, width[c + 1]);
        }
        int full = how == XRAY_GROUP_NONE || (how == XRAY_GROUP_EVERY && size >= b->every) ||
                   (how == XRAY_GROUP_MIN && held >= b->counts) ||
                   (how == XRAY_GROUP_OPTIMAL && size + 1 > narrowest && held >= b->counts);
        if (full) {
            bins++;
            size = 0;
            held = 0;
        }
    }
    free(width);
    if (size > 0 && (how == XRAY_GROUP_FILE || bins == 0)) {
        bins++;
    } else if (size > 0) /* a last bin that is not full goes to the one before */
        for (int c = 0; c < n; c++)
            if (bin[c] == bins) {
                bin[c] = how == XRAY_GROUP_EVERY ? -1 : bins - 1;
            }
    return bins;
}

/* ==== folding =====================================================================================================
   counts[b] = sum over energies i of flux[i] area[i] weight[i][b]. Row i covers bins first[i] ... first[i] + count[i]
   - 1; area is effective area x exposure. Energies that reach no bin are left out. */

typedef struct xray_fold {
    int n_energy, n_bin;
    double *area;       /* [n_energy] cm2 s */
    int *first, *count; /* [n_energy] */
    float *weight;      /* rows one after the other */
} xray_fold;

/* counts[n_bin] from flux[n_energy], photons/(cm2 s). */
static inline void xray_fold_flux(double *counts, const xray_fold *f, const double *flux) {
    const float *w = f->weight;
    for (int b = 0; b < f->n_bin; b++)
        counts[b] = 0;
    for (int i = 0; i < f->n_energy; i++) {
        double photons = flux[i] * f->area[i];
        double *to = counts + f->first[i];
        int n = f->count[i];
        for (int b = 0; b < n; b++)
            to[b] += photons * (double)w[b];
        w += n;
    }
}

/* ==== data: all that a fit needs of one spectrum ================================================================== */

/* What a flux point has beside its flux. */
typedef struct xray_point {
    double sigma_lo, sigma_hi; /* errors down and up [dex]; of an upper limit sigma_hi [erg/(cm2 s)] */
    int limit;
} xray_point;

typedef struct xray_data {
    int n;               /* bins */
    double *counts;      /* [n] */
    double *background;  /* [n] counts of the background spectrum; NULL without one */
    double *ratio;       /* [n] exposure x BACKSCAL x AREASCAL, source over background */
    double *variance;    /* [n] of counts - ratio background, for chi2 */
    double *e_lo, *e_hi; /* [n] keV */
    double *model;       /* [n] room for the caller's model counts */
    int *bin;            /* [n_channel] bin of each channel, -1 for none */
    int n_channel, first_channel;
    double exposure;   /* s */
    int exact;         /* counts are counts: C and W hold */
    int silent;        /* bins without an error, which chi2 leaves out */
    int dropped;       /* a background is named, but left out as asked */
    xray_point *point; /* [n] flux points instead of counts: `counts` are nu F_nu then [erg/(cm2 s)]. NULL: counts */
    char note[XRAY_NOTE];
    xray_grid grid; /* energies of the response that reach a bin */
    xray_fold fold;
    char name[PATH_SIZE];
} xray_data;

static inline void xray_data_free(xray_data *d) {
    free(d->counts); /* the other arrays over bins lie behind it */
    free(d->bin);
    free(d->point);
    xray_grid_free(&d->grid);
    free(d->fold.area);
    free(d->fold.first);
    free(d->fold.weight);
    memset(d, 0, sizeof *d);
}

/* One row of the response over bins: sum[n_bin], with AREASCAL of each channel. Returns 0 when it is empty. */
static inline int xray_row(double *sum, const xray_data *d, const xray_response *r, int i, const double *area_scale) {
    int any = 0;
    for (int b = 0; b < d->n; b++)
        sum[b] = 0;
    for (int s = r->row[i]; s < r->row[i + 1]; s++) {
        const xray_span *p = &r->span[s];
        for (int k = 0; k < p->count; k++) {
            int b = d->bin[p->channel + k];
            double w = (double)r->matrix[p->at + (size_t)k] * area_scale[p->channel + k];
            if (b < 0) {
                continue;
            }
            sum[b] += w;
            any |= w > 0;
        }
    }
    return any && r->area[i] > 0;
}

/* The fold and its grid: only energies between the first and the last that reach a bin. area_scale[n_channel]. */
static inline int xray_data_fold(xray_data *d, const xray_response *r, const double *area_scale,
                                 const xray_absorption *ism, char *err) {
    xray_fold *f = &d->fold;
    double *sum = xray_alloc((size_t)d->n, sizeof *sum);
    int begin = r->n_energy;
    int end = 0;
    size_t total = 0;
    f->n_bin = d->n;
    f->first = xray_alloc(2 * (size_t)r->n_energy, sizeof *f->first);
    f->area = xray_alloc((size_t)r->n_energy, sizeof *f->area);
    for (int pass = 0; pass < 2 && sum && f->first && f->area; pass++) { /* count, then fill */
        size_t at = 0;
        if (pass == 1) {
            f->n_energy = end - begin;
            f->count = f->first + (end - begin);
            f->weight = xray_alloc(total, sizeof *f->weight);
            if (!f->weight) {
                break;
            }
        }
        for (int i = pass ? begin : 0; i < (pass ? end : r->n_energy); i++) {
            int any = xray_row(sum, d, r, i, area_scale);
            int lo = 0;
            int hi = d->n;
            while (any && !(fabs(sum[lo]) > 0))
                lo++;
            while (any && !(fabs(sum[hi - 1]) > 0))
                hi--;
            if (!any) {
                hi = lo;
            } else if (pass == 0) {
                begin = i < begin ? i : begin;
                end = i + 1;
            }
            total += pass ? 0 : (size_t)(hi - lo);
            if (!pass) {
                continue;
            }
            f->first[i - begin] = lo;
            f->count[i - begin] = hi - lo;
            f->area[i - begin] = any ? r->area[i] * d->exposure : 0;
            for (int b = lo; b < hi; b++)
                f->weight[at++] = (float)sum[b];
        }
        if (pass == 0 && end <= begin) {
            free(sum);
            return error_set(err, "%.300s: the response is zero in all bins", d->name);
        }
    }
    free(sum);
    if (!f->weight) {
        return error_set(err, "out of memory");
    }
    return xray_grid_make(&d->grid, r->edge + begin, f->n_energy, ism, err);
}

/* Bins given from outside, one for each channel of the response. */
static inline int xray_data_given(xray_data *d, const xray_pha *p, const xray_response *r, const xray_binning *b,
                                  char *err) {
    int n = r->n_channel;
    int shift = p->first_channel - r->first_channel;
    if (b->n_given != n) {
        return error_set(err, "%.300s: %d channels, but bins are given for %d", p->name, n, b->n_given);
    }
    d->bin = xray_alloc((size_t)n, sizeof *d->bin);
    if (!d->bin) {
        return error_set(err, "out of memory");
    }
    for (int c = 0; c < n; c++) {
        d->bin[c] = c >= shift && c - shift < p->n ? b->given[c] : -1;
        if (d->bin[c] >= d->n) {
            d->n = d->bin[c] + 1;
        }
    }
    return d->n ? 0 : error_set(err, "%.300s: none of the given bins has channels", p->name);
}

/* Which channels take part: of the spectrum, good, and in the energy range (whole bins, for a grouping from the file).
   */
static inline int xray_data_bins(xray_data *d, const xray_pha *p, const xray_response *r, const xray_binning *b,
                                 char *err) {
    int n = r->n_channel;
    int shift = p->first_channel - r->first_channel;
    int *grouping = NULL;
    double *counts = xray_alloc((size_t)n, sizeof *counts);
    if (b->how == XRAY_GROUP_GIVEN) {
        free(counts);
        return xray_data_given(d, p, r, b, err);
    }
    if (p->grouping) {
        grouping = xray_alloc((size_t)n, sizeof *grouping);
    }
    d->bin = xray_alloc((size_t)n, sizeof *d->bin);
    if (!counts || !d->bin || (p->grouping && !grouping)) {
        free(counts);
        free(grouping);
        return error_set(err, "out of memory");
    }
    int whole = b->how == XRAY_GROUP_FILE && p->grouping;
    for (int c = 0; c < n; c++) {
        int k = c - shift;
        int inside = whole || !(b->e_hi > 0) || (r->e_min[c] >= b->e_lo && r->e_max[c] <= b->e_hi);
        int quality = k >= 0 && k < p->n && p->quality ? p->quality[k] : 0;
        int good = k >= 0 && k < p->n && (quality == 0 || (b->keep_bad && quality != XRAY_UNUSABLE));
        d->bin[c] = good && inside ? 0 : -1;
        if (k >= 0 && k < p->n) {
            counts[c] = p->counts[k];
        }
        if (grouping && k >= 0 && k < p->n) {
            grouping[c] = p->grouping[k];
        }
    }
    int status = xray_bins(d->bin, b, r, counts, grouping, err);
    free(counts);
    free(grouping);
    d->n = status;
    if (status > 0) {
        return 0;
    }
    return status < 0 ? -1
                      : error_set(err, "%.300s: no good channels between %g and %g keV", p->name, b->e_lo, b->e_hi);
}

/* Arrays of d over n bins, one after the other behind d->counts. -1 without memory. */
static inline int xray_data_room(xray_data *d, int n) {
    d->counts = xray_alloc((size_t)n, 7 * sizeof(double));
    if (!d->counts) {
        return -1;
    }
    d->n = n;
    d->background = d->counts + n;
    d->ratio = d->background + n;
    d->variance = d->ratio + n;
    d->e_lo = d->variance + n;
    d->e_hi = d->e_lo + n;
    d->model = d->e_hi + n;
    return 0;
}

/* Leaves out bins that are not inside the energy range; renumbers the others. e_lo[n], e_hi[n] by the channels. */
static inline int xray_data_range(xray_data *d, const xray_response *r, const xray_binning *b, char *err) {
    double *lo = xray_alloc(2 * (size_t)d->n, sizeof *lo);
    double *hi = lo ? lo + d->n : NULL;
    int *number = xray_alloc((size_t)d->n, sizeof *number);
    int kept = 0;
    for (int k = 0; lo && k < d->n; k++)
        lo[k] = 1e300;
    for (int c = 0; lo && c < d->n_channel; c++)
        if (d->bin[c] >= 0) {
            lo[d->bin[c]] = fmin(lo[d->bin[c]], r->e_min[c]);
            hi[d->bin[c]] = fmax(hi[d->bin[c]], r->e_max[c]);
        }
    for (int k = 0; lo && number && k < d->n; k++)
        number[k] = !(b->e_hi > 0) || (lo[k] >= b->e_lo && hi[k] <= b->e_hi) ? kept++ : -1;
    for (int c = 0; number && c < d->n_channel; c++)
        if (d->bin[c] >= 0) {
            d->bin[c] = number[d->bin[c]];
        }
    free(number);
    if (lo && number && kept > 0 && !xray_data_room(d, kept)) {
        for (int k = 0; k < kept; k++)
            d->e_lo[k] = 1e300;
        for (int c = 0; c < d->n_channel; c++)
            if (d->bin[c] >= 0) {
                d->e_lo[d->bin[c]] = fmin(d->e_lo[d->bin[c]], r->e_min[c]);
                d->e_hi[d->bin[c]] = fmax(d->e_hi[d->bin[c]], r->e_max[c]);
            }
    }
    free(lo);
    if (d->counts) {
        return 0;
    }
    return kept ? error_set(err, "out of memory")
                : error_set(err, "%.300s: no bins between %g and %g keV", d->name, b->e_lo, b->e_hi);
}

/* Sums of a spectrum over bins. The systematic error of a bin's channels has one sign, so that they add up linearly. */
static inline int xray_data_sums(xray_data *d, const xray_pha *p, const xray_pha *back, double systematic, char *err) {
    int shift = p->first_channel - d->first_channel;
    double *sys = xray_alloc(3 * (size_t)d->n, sizeof *sys);
    double *channels = sys ? sys + d->n : NULL;
    double *dark = sys ? channels + d->n : NULL; /* variance of the background's counts */
    if (!sys) {
        return error_set(err, "out of memory");
    }
    for (int c = 0; c < d->n_channel; c++) {
        int b = d->bin[c];
        int k = c - shift;
        if (b < 0) {
            continue;
        }
        channels[b] += 1;
        sys[b] += (p->systematic ? hypot(p->systematic[k], systematic) : systematic) * p->counts[k];
        d->counts[b] += p->counts[k];
        d->variance[b] += p->error ? p->error[k] * p->error[k] : p->counts[k];
        if (!back) {
            continue;
        }
        d->background[b] += back->counts[k];
        dark[b] += back->error ? back->error[k] * back->error[k] : back->counts[k];
        d->ratio[b] += p->back_scale[k] * p->area_scale[k] * p->exposure /
                       (back->back_scale[k] * back->area_scale[k] * back->exposure);
    }
    for (int b = 0; b < d->n; b++) {
        d->ratio[b] /= channels[b];
        if (!p->error) {
            d->variance[b] = fmax(d->variance[b], 1);
        }
        d->variance[b] += d->ratio[b] * d->ratio[b] * dark[b] + sys[b] * sys[b];
        if (d->variance[b] > 0) {
            continue;
        }
        d->variance[b] = (double)INFINITY; /* says nothing */
        d->silent++;
    }
    free(sys);
    if (!back) {
        d->background = NULL;
    }
    return 0;
}

/* A spectrum, its background (NULL: none) and its response made into data. Keeps nothing of them. Free it. */
static inline int xray_data_make(xray_data *d, const xray_pha *p, const xray_pha *back, const xray_response *r,
                                 const xray_absorption *ism, const xray_binning *b, char *err) {
    int shift = p->first_channel - r->first_channel;
    memset(d, 0, sizeof *d);
    snprintf(d->name, sizeof d->name, "%.1000s", p->name);
    d->n_channel = r->n_channel;
    d->first_channel = r->first_channel;
    d->exposure = p->exposure;
    d->exact = p->exact && (!back || back->exact);
    snprintf(d->note, sizeof d->note, "%s", p->note);
    if (r->note[0]) {
        xray_note(d->note, "%s", r->note);
    }
    if (shift < 0 || p->n > r->n_channel - shift) {
        return error_set(err, "%.200s: channels %d to %d, but its response has %d to %d", p->name, p->first_channel,
                         p->first_channel + p->n - 1, r->first_channel, r->first_channel + r->n_channel - 1);
    }
    if (back && (back->n != p->n || back->first_channel != p->first_channel)) {
        return error_set(err, "%.200s: channels %d to %d, but its background has %d to %d", p->name, p->first_channel,
                         p->first_channel + p->n - 1, back->first_channel, back->first_channel + back->n - 1);
    }
    double *area_scale;
    area_scale = xray_alloc((size_t)r->n_channel, sizeof *area_scale);
    if (!area_scale) {
        return error_set(err, "out of memory");
    }
    for (int k = 0; k < p->n; k++)
        area_scale[k + shift] = p->area_scale[k];
    int bad = xray_data_bins(d, p, r, b, err) || xray_data_range(d, r, b, err) ||
              xray_data_sums(d, p, back, b->systematic, err) || xray_data_fold(d, r, area_scale, ism, err);
    free(area_scale);
    if (bad) {
        xray_data_free(d);
    }
    return bad ? -1 : 0;
}

/* Files that replace those named in the spectrum; NULL: as named there, "none": none. */
typedef struct xray_files {
    const char *rmf, *arf, *background;
} xray_files;

static inline const char *xray_choose(const char *given, const char *named) {
    return !given ? named : strcasecmp(given, "none") ? given : "";
}

/* Is one spectrum the other? A background with the very counts of the source in the same time is the source. */
static inline int xray_pha_same(const xray_pha *a, const xray_pha *b) {
    double sum = 0;
    if (a->n != b->n || fabs(a->exposure - b->exposure) > 1e-9 * a->exposure) {
        return 0;
    }
    for (int i = 0; i < a->n; i++) {
        if (fabs(a->counts[i] - b->counts[i]) > 0) {
            return 0;
        }
        sum += fabs(a->counts[i]);
    }
    return sum > 0;
}

/* The background of p, or none: *has says. One that is subtracted already is not subtracted again. */
static inline int xray_background_read(xray_pha *back, int *has, xray_pha *p, const char *path, char *err) {
    *has = 0;
    if (*path && p->net) {
        xray_note(p->note, "%.150s is NET, without background already: %.150s is not used", p->name, path);
        return 0;
    }
    if (!*path) {
        return 0;
    }
    if (xray_pha_read_as(back, path, 1, err)) {
        size_t used = strlen(err);
        if (!strcmp(path, p->background)) {
            snprintf(err + used, ERROR_SIZE - used, " (%.100s names it as its background; none: fit without)", p->name);
        }
        return -1;
    }
    *has = 1;
    if (xray_pha_same(p, back)) {
        return error_set(err, "%.200s: the background %.200s is the spectrum itself", p->name, path);
    }
    if (back->note[0]) {
        xray_note(p->note, "%s", back->note);
    }
    for (int i = 0; back->quality && i < p->n && i < back->n; i++) {
        if (back->quality[i] != XRAY_UNUSABLE) {
            continue; /* its background is not known */
        }
        if (!p->quality && !(p->quality = xray_alloc((size_t)p->n, sizeof(int)))) {
            return error_set(err, "out of memory");
        }
        p->quality[i] = XRAY_UNUSABLE;
    }
    return 0;
}

/* Reads a spectrum with its response and background (unless there is none), and makes data of them. Free it. */
static inline int xray_data_read(xray_data *d, const char *path, const xray_files *files, const xray_absorption *ism,
                                 const xray_binning *b, char *err) {
    static const xray_files as_named = {NULL, NULL, NULL};
    const xray_files *f = files ? files : &as_named;
    int has_back = 0;
    xray_pha back;
    xray_pha p;
    memset(d, 0, sizeof *d);
    memset(&back, 0, sizeof back);
    if (xray_pha_read(&p, path, err)) {
        return -1;
    }
    const char *rmf = xray_choose(f->rmf, p.rmf);
    const char *arf = xray_choose(f->arf, p.arf);
    int no_arf = f->arf && !*arf; /* the caller says so */
    if (!*rmf) {
        xray_pha_free(&p);
        return error_set(err, "%.300s: names no response (RESPFILE), and none is given", path);
    }
    xray_response r;
    int bad = xray_background_read(&back, &has_back, &p, xray_choose(f->background, p.background), err);
    if (!bad) {
        bad = xray_response_read(&r, rmf, no_arf ? NULL : arf, err);
    }
    if (!bad) {
        bad = xray_data_make(d, &p, has_back ? &back : NULL, &r, ism, b, err);
        xray_response_free(&r);
    }
    if (!bad) {
        d->dropped = f->background && !*xray_choose(f->background, "") && p.background[0] && !p.net;
    }
    xray_pha_free(&back);
    xray_pha_free(&p);
    return bad ? -1 : 0;
}

/* ==== flux points ================================================================================================= */

/* Flux points as data: energy[n] ascending [keV], nu F_nu and errors as in xray_point. The model is asked for its
   photons in a bin a fifth of a thousandth wide around each energy (points closer than that share it), which the fold
   turns into nu F_nu. The bins between are there to join them, and count nothing. Free it. */
static inline int xray_points_make(xray_data *d, const char *name, const double *energy, const double *flux,
                                   const xray_point *point, int n, const xray_absorption *ism, char *err) {
    const double half = 1e-4;
    memset(d, 0, sizeof *d);
    snprintf(d->name, sizeof d->name, "%.1000s", name);
    d->exposure = 1;
    d->exact = 1;
    double *edge = xray_alloc(2 * (size_t)n + 1, sizeof *edge);
    d->point = xray_alloc((size_t)n, sizeof *d->point);
    d->fold.first = xray_alloc(4 * (size_t)n, sizeof *d->fold.first);
    d->fold.area = xray_alloc(2 * (size_t)n, sizeof *d->fold.area);
    d->fold.weight = xray_alloc((size_t)n, sizeof *d->fold.weight);
    int bad = !edge || !d->point || !d->fold.first || !d->fold.area || !d->fold.weight || xray_data_room(d, n);
    if (bad) {
        error_set(err, "out of memory");
    }
    int rows = 0;
    for (int i = 0; !bad && i < n; i++) {
        double e = energy[i];
        d->point[i] = point[i];
        d->counts[i] = flux[i];
        d->fold.weight[i] = 1;
        d->variance[i] = 1;
        d->e_lo[i] = e * (1 - half);
        d->e_hi[i] = e * (1 + half);
        int joins = rows > 0 && e * (1 - half) <= edge[rows];
        if (joins) {
            d->fold.count[rows - 1]++;
            continue;
        }
        if (rows > 0) {
            d->fold.area[rows++] = 0; /* the gap before it */
        }
        d->fold.count = d->fold.first + 2 * n;
        edge[rows] = d->e_lo[i];
        edge[rows + 1] = d->e_hi[i];
        d->fold.first[rows] = i;
        d->fold.count[rows] = 1;
        d->fold.area[rows] = e * e * xray_erg / (2 * half * e);
        rows++;
    }
    d->background = NULL;
    d->fold.n_energy = rows;
    d->fold.n_bin = n;
    if (!bad) {
        bad = xray_grid_make(&d->grid, edge, rows, ism, err);
    }
    free(edge);
    if (bad) {
        xray_data_free(d);
    }
    return bad ? -1 : 0;
}

/* ==== folding a model ============================================================================================= */

/* Scratch of one thread, for any of the data. */
typedef struct xray_work {
    double *flux, *scratch;
} xray_work;

static inline void xray_work_free(xray_work *w) {
    if (w) {
        free(w->flux);
    }
    free(w);
}

/* Room for a model on data[n_data]; NULL without memory. */
static inline xray_work *xray_work_make(const xray_model *m, const xray_data *data, int n_data) {
    xray_work *w = calloc(1, sizeof *w);
    int n = 0;
    for (int i = 0; i < n_data; i++)
        if (data[i].grid.n > n) {
            n = data[i].grid.n;
        }
    if (w) {
        w->flux = xray_alloc((size_t)n, (5 + (size_t)m->depth) * sizeof(double));
    }
    if (w && w->flux) {
        w->scratch = w->flux + n;
        return w;
    }
    free(w);
    return NULL;
}

/* counts[d->n] that the model predicts; par[n_par]. */
static inline void xray_fold_model(double *counts, const xray_data *d, const xray_model *m, const double *par,
                                   xray_work *w) {
    xray_model_eval(w->flux, m, &d->grid, par, w->scratch);
    xray_fold_flux(counts, &d->fold, w->flux);
}

/* ==== statistics ================================================================================================== */

enum { XRAY_C, XRAY_W, XRAY_CHI2, XRAY_FLUX };

/* W of one bin: counts s and b, ratio r of source to background, model m: profile[0] the background in the source's
   spectrum that maximises the likelihood, returns W. Both branches are the same root, each where nothing cancels. */
static inline double xray_w(double *profile, double s, double b, double r, double m) {
    double q = 1 + 1 / r;
    double u = q * m - s - b;
    double root = sqrt(u * u + 4 * q * b * m);
    double back = u > 0 ? (b > 0 ? 2 * b * m / (root + u) : 0) : (root - u) / (2 * q);
    double w = m + back * q - s - b;
    if (s > 0) {
        w += s * log(s / (m + back));
    }
    if (b > 0) {
        w += b * log(b * r / back);
    }
    *profile = back;
    return 2 * w;
}

/* ln of the normal distribution function, and its derivative into *slope; a series where erfc underflows. */
static inline double xray_ln_phi(double *slope, double z) {
    double tail = -z > 20 ? log(-z * 2.5066282746310002) - log1p(-1 / (z * z) + 3 / (z * z * z * z)) : 0;
    double value = -z > 20 ? -0.5 * z * z - tail : log(0.5 * erfc(-z / 1.4142135623730951));
    *slope = exp(-0.5 * z * z - 0.91893853320467274 - value);
    return value;
}

/* A flux point: -2 ln L of a Gaussian in log10 of the flux, or, of an upper limit, of the flux's being below it. */
static inline double xray_point_statistic(double *first, double *second, const xray_point *p, double flux, double m) {
    double slope;
    if (p->limit) {
        double z = (flux - m) / p->sigma_hi;
        double value = -2 * xray_ln_phi(&slope, z);
        *first = 2 * slope / p->sigma_hi;
        *second = 2 * slope * (z + slope) / (p->sigma_hi * p->sigma_hi);
        return value;
    }
    double off = log10(m / flux);
    double sigma = off > 0 ? p->sigma_hi : p->sigma_lo;
    slope = 0.43429448190325183 / (m * sigma);
    *first = 2 * off / sigma * slope;
    *second = 2 * slope * slope;
    return off * off / (sigma * sigma);
}

/* The statistic of model[d->n], summed over bins. slope[n], curvature[n]: its first and (expected) second derivative by
   model; both NULL when not wanted. XRAY_W needs a background. +infinity for a model that is no number. */
static inline double xray_statistic(double *slope, double *curvature, const xray_data *d, const double *model,
                                    int kind) {
    const double least = 1e-6; /* an empty bin without a model tells nothing, though 1/m is large */
    double sum = 0;
    for (int i = 0; i < d->n; i++) {
        double m = model[i];
        double n = d->counts[i];
        double back = 0;
        if (!(fabs(m) < 1e300)) {
            return (double)INFINITY;
        }
        if (m < 1e-30) {
            m = 1e-30;
        }
        double first;
        double second;
        if (kind == XRAY_FLUX) {
            sum += xray_point_statistic(&first, &second, &d->point[i], n, m);
        } else if (kind == XRAY_CHI2) {
            double off = m + (d->background ? d->ratio[i] * d->background[i] : 0) - n;
            sum += off * off / d->variance[i];
            first = 2 * off / d->variance[i];
            second = 2 / d->variance[i];
        } else if (kind == XRAY_W) {
            sum += xray_w(&back, n, d->background[i], d->ratio[i], m);
            first = 2 * (1 - n / (m + back)); /* the background stands at its maximum: it adds nothing */
            second = 2 / fmax(m + back * (1 + d->ratio[i]), n > 0 ? 0 : least);
        } else {
            sum += 2 * (n > 0 ? m - n + n * log(n / m) : m);
            first = 2 * (1 - n / m);
            second = 2 / (n > 0 ? m : fmax(m, least));
        }
        if (slope) {
            slope[i] = first;
        }
        if (curvature) {
            curvature[i] = second;
        }
    }
    return sum < (double)INFINITY ? sum : (double)INFINITY;
}

/* Mean and variance of the C of a perfect model, by summing over counts (Kaastra 2017, A&A 605, A51). */
static inline void xray_c_expected(double *mean, double *variance, const double *model, int n) {
    *mean = *variance = 0;
    for (int i = 0; i < n; i++) {
        double m = model[i];
        double sum = 0;
        double square = 0;
        double sigma = sqrt(fmax(m, 0));
        long from = m > 100 ? (long)(m - 9 * sigma) : 0;
        long to = (long)(m + 10 * sigma + 30);
        if (!(m > 0)) {
            continue;
        }
        if (m > 1e4) { /* the series, whose error is below 1e-8 there */
            *mean += 1 + 1 / (6 * m);
            *variance += 2 + 2 / (3 * m);
            continue;
        }
        double p = exp((double)from * log(m) - m - lgamma((double)from + 1));
        for (long k = from; k <= to; k++, p *= m / (double)k) {
            double c = 2 * (k > 0 ? m - (double)k + (double)k * log((double)k / m) : m);
            sum += p * c;
            square += p * c * c;
        }
        *mean += sum;
        *variance += square - sum * sum;
    }
}

/* ==== simulation ================================================================================================== */

/* A Poisson number. Below 10 by counting down the distribution, above by transformed rejection (Hoermann 1993,
   Insurance: Mathematics and Economics 12, 39, algorithm PTRS). */
static inline double xray_poisson(bml_mcmc_rng *rng, double mean) {
    if (!(mean > 0)) {
        return 0;
    }
    if (mean < 10) {
        double u = bml_mcmc_rng_uniform(rng);
        double p = exp(-mean);
        double k = 0;
        for (; u > p && k < 200; p *= mean / k) {
            u -= p;
            k += 1;
        }
        return k;
    }
    double root = sqrt(mean);
    double b = 0.931 + 2.53 * root;
    double a = -0.059 + 0.02483 * b;
    double inverse = 1.1239 + 1.1328 / (b - 3.4);
    double v_r = 0.9277 - 3.6224 / (b - 2);
    for (;;) {
        double u = bml_mcmc_rng_uniform(rng) - 0.5;
        double v = bml_mcmc_rng_uniform(rng);
        double us = 0.5 - fabs(u);
        double k = floor((2 * a / us + b) * u + mean + 0.43);
        if (us >= 0.07 && v <= v_r) {
            return k;
        }
        if (k < 0 || (us < 0.013 && v > us)) {
            continue;
        }
        double x = k + 1; /* ln k! by Stirling's series at k + 8, exact to 1e-14 */
        double log_gamma = 0;
        for (double shift = 1; x < 8; x += 1) {
            shift *= x;
            log_gamma = -log(shift);
        }
        log_gamma += (x - 0.5) * log(x) - x + 0.91893853320467274 + 1 / (12 * x) - 1 / (360 * x * x * x) +
                     1 / (1260 * x * x * x * x * x);
        if (log(v * inverse / (a / (us * us) + b)) <= -mean + k * log(mean) - log_gamma) {
            return k;
        }
    }
}

/* Data drawn for the model of flux points: each has its own error; limits stay. */
static inline void xray_fake_points(double *flux, const double *model, const xray_data *d, bml_mcmc_rng *rng) {
    for (int i = 0; i < d->n; i++) {
        double z = bml_mcmc_rng_normal(rng);
        const xray_point *p = &d->point[i];
        flux[i] = p->limit ? d->counts[i] : model[i] * pow(10, z * (z > 0 ? p->sigma_lo : p->sigma_hi));
    }
}

/* counts[n] drawn for model[n]. */
static inline void xray_fake(double *counts, const double *model, int n, bml_mcmc_rng *rng) {
    for (int i = 0; i < n; i++)
        counts[i] = xray_poisson(rng, model[i]);
}
#endif
