/* session.h: what every command of fit_xray works on: options, the spectra, the model with its free parameters
   and their prior, a fitter for each thread, the band for fluxes, and the densities that samplers ask for. Include
   common.h, bml_mcmc.h and bml_nn.h first. Public domain or MIT, see LICENSE. */
#ifndef FIT_XRAY_SESSION_H
#define FIT_XRAY_SESSION_H
#include "xray_net.h"
#include "bml_ssc.h"
#include "ebl.h"
#include "farm.h"
#include "sed.h"
#include "surrogate.h"
#include "xray_table.h"
#include "xray_ssc.h"

enum { MAX_THREADS = 256, FLUX_BINS = 1000 };

typedef struct options {
    const char *model;
    const char *background_model;
    const char *prior;
    const char *points;
    const char *ssc_net;
    const char *absorption;
    const char *band;
    const char *net;
    const char *train_on;
    const char *start;
    const char *checkpoint;
    const char *out;
    int abundance;
    int group;
    int statistic;
    int keep_bad;
    int resample;
    int quiet;
    long every;
    long min_counts;
    long starts;
    long simulations;
    long threads;
    long live_points;
    long walkers;
    long steps;
    long draws;
    long n;
    long epochs;
    long batch;
    long units;
    long depth;
    long components;
    long evaluations;
    long test;
    long judge_nested;
    double e_min;
    double e_max;
    double systematic;
    double exposure;
    double min_ess;
    double dropout;
    double rate;
    double minutes;
    uint64_t seed;
    option_list fix;
    option_list free;
    option_list untie;
    option_list rmf;
    option_list arf;
    option_list background;
    option_list range;
    option_list steppar;
} options;

/* How good a fit is: by simulations of it, or where there are none by Poisson's law. */
typedef struct goodness_of_fit {
    double share;  /* of simulations that fit better */
    double sigmas; /* statistic less its expectation, in standard deviations */
    long n;
} goodness_of_fit;

/* Everything a command works on. */
typedef struct session {
    options *opt;
    const option_row *rows;
    const char *command;
    const char *input;
    xray_absorption ism;
    xray_library library; /* tables, ssc */
    xray_ssc *ssc;
    ebl_table ebl[4];
    int n_ebl;
    xray_model model;
    xray_data data[XRAY_MAX_DATA]; /* flux points stand last */
    int n_data;
    int n_points; /* how many of the data are flux points: 0 or 1 */
    int n_dark;   /* background spectra that are modelled: they stand behind all these */
    xray_problem problem;
    prior_file file;
    bml_mcmc_prior *prior;
    xray_fitter *fitter[MAX_THREADS]; /* one for each thread */
    xray_net net;                     /* infer, judge, compare */
    int by_network;                   /* networks are trained, or used: they know no background */
    int threads;
    farm others;     /* the other ranks of MPI */
    double band[2];  /* keV */
    xray_grid grid;  /* of the band */
    double *scratch; /* for fluxes */
    double start;    /* time */
} session;

/* ==== setting up ================================================================================================== */

static void load_absorption(session *s) {
    char err[ERROR_SIZE];
    int bad = s->opt->absorption ? xray_absorption_read(&s->ism, s->opt->absorption, err)
                                 : xray_absorption_builtin(&s->ism, s->opt->abundance, err);
    if (bad) {
        fail("%s", err);
    }
}

static xray_binning binning_of(const options *o) {
    xray_binning b = {.e_lo = o->e_min,
                      .e_hi = o->e_max,
                      .how = o->group,
                      .every = (int)o->every,
                      .counts = (double)o->min_counts,
                      .systematic = o->systematic,
                      .keep_bad = o->keep_bad};
    return b;
}

/* An xray_library.load: XSPEC's tables, and ebl{FILE} of text. */
static int load_extra(xray_library *l, const char *name, const char *file, char *err) {
    session *s = l->user;
    size_t n = strlen(file);
    int is_fits = (n > 3 && !strcmp(file + n - 3, ".gz")) || strstr(file, ".fit") || strstr(file, ".FIT");
    if (strcasecmp(name, "ebl") || is_fits) {
        return xray_table_load(l, name, file, err);
    }
    if (s->n_ebl == (int)(sizeof s->ebl / sizeof *s->ebl) || l->n == XRAY_MAX_EXTRAS) {
        return error_set(err, "too many tables");
    }
    if (ebl_read(&s->ebl[s->n_ebl], file, err)) {
        return -1;
    }
    l->extra[l->n] = xray_ebl_extra(&s->ebl[s->n_ebl++]);
    return l->n++;
}

/* The model, with the components that this program has beside those of xray.h. The solver is made when it is asked
   for. */
static void load_model(session *s) {
    char err[ERROR_SIZE];
    const int n = farm_ranks() > 1 && !s->opt->threads ? 1 : threads_or_all(s->opt->threads);
    s->threads = n < MAX_THREADS ? n : MAX_THREADS;
    if (s->threads < 1) {
        s->threads = 1;
    }
    if (!s->opt->model) {
        fail("fit_xray %s: --model is needed, such as --model 'tbabs*powerlaw'", s->command);
    }
    s->library.load = load_extra;
    s->library.user = s;
    if (strstr(s->opt->model, "ssc") || strstr(s->opt->model, "SSC")) {
        if (xray_ssc_create(&s->ssc, s->opt->ssc_net, s->threads, err)) {
            fail("%s", err);
        }
        s->library.extra[s->library.n++] = xray_ssc_extra(s->ssc);
    }
    if (xray_model_parse_with(&s->model, s->opt->model, &s->library, err)) {
        fail("%s", err);
    }
}

/* --points FILE: a table of flux points, as one more of the data. */
static void load_points(session *s) {
    char err[ERROR_SIZE];
    sed_table sed;
    if (!s->opt->points) {
        return;
    }
    if (s->n_data == XRAY_MAX_DATA) {
        fail("fit_xray: more than %d spectra", (int)XRAY_MAX_DATA - 1);
    }
    if (sed_read(&sed, s->opt->points, 0, err)) {
        fail("%s", err);
    }
    double *energy = xray_alloc((size_t)sed.n, 2 * sizeof *energy);
    xray_point *point = xray_alloc((size_t)sed.n, sizeof *point);
    if (!energy || !point) {
        fail("fit_xray: out of memory");
    }
    for (int i = 0; i < sed.n; i++) {
        const bml_ssc_point *p = &sed.point[i];
        double limit = p->sigma_hi > 0 ? p->sigma_hi : p->nuFnu / 1.6448536269514722;
        energy[i] = p->nu / xray_hz;
        energy[sed.n + i] = p->nuFnu;
        point[i].limit = p->upper_limit;
        point[i].sigma_lo = p->sigma_lo;
        point[i].sigma_hi = p->upper_limit ? limit : p->sigma_hi;
    }
    if (xray_points_make(&s->data[s->n_data], s->opt->points, energy, energy + sed.n, point, sed.n, &s->ism, err)) {
        fail("%s", err);
    }
    s->n_data++;
    s->n_points = 1;
    if (!s->input) {
        s->input = s->opt->points;
    }
    free(energy);
    free(point);
    sed_free(&sed);
}

/* What an option that may be repeated says of spectrum i of n: given once it holds for all. NULL: nothing. */
static const char *item_for(const option_list *l, const char *name, int i, int n) {
    if (l->n > 1 && l->n != n) {
        fail("fit_xray: --%s is given %d times, for %d spectra (once, or once for each)", name, l->n, n);
    }
    return l->n == 0 ? NULL : l->item[l->n == 1 ? 0 : i];
}

/* --range LO:HI of spectrum i, or --e-min and --e-max. */
static void range_for(xray_binning *b, const session *s, int i, int n) {
    const char *text = item_for(&s->opt->range, "range", i, n);
    char low[64] = "";
    if (!text) {
        return;
    }
    const char *colon = strchr(text, ':');
    if (colon) {
        snprintf(low, sizeof low, "%.*s", (int)(colon - text < 63 ? colon - text : 63), text);
    }
    if (!colon || read_real(&b->e_lo, low) || read_real(&b->e_hi, colon + 1) || !(b->e_lo < b->e_hi)) {
        fail("--range: '%.60s' is not LOW:HIGH in keV", text);
    }
}

static void load_data(session *s, const xray_binning *binning, char **files, int n) {
    xray_binning b = *binning;
    const options *o = s->opt;
    char err[ERROR_SIZE];
    if (b.e_hi > 0 && !(b.e_lo < b.e_hi)) {
        fail("fit_xray: --e-min %g must be below --e-max %g", b.e_lo, b.e_hi);
    }
    if (n < 1 && !s->opt->points) {
        fail("fit_xray %s: a spectrum is needed, see --help", s->command);
    }
    if (n > XRAY_MAX_DATA) {
        fail("fit_xray: more than %d spectra", (int)XRAY_MAX_DATA);
    }
    for (int i = 0; i < n; i++, s->n_data++) {
        xray_files named = {item_for(&o->rmf, "rmf", i, n), item_for(&o->arf, "arf", i, n),
                            item_for(&o->background, "background", i, n)};
        if (s->by_network && !named.background) {
            named.background = "none";
        }
        range_for(&b, s, i, n);
        if (xray_data_read(&s->data[i], files[i], &named, &s->ism, &b, err)) {
            fail("%s", err);
        }
    }
    s->input = n ? files[0] : NULL;
    load_points(s);
}

/* The parameter of that name; ends the program with a message that begins with `where`. */
static int find_parameter(const session *s, const char *where, const char *name) {
    const xray_problem *p = &s->problem;
    char all[ERROR_SIZE] = "";
    int k = xray_problem_find(p, name);
    if (k >= 0) {
        return k;
    }
    for (int i = 0; i < p->n_all; i++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", p->par[i].name);
    }
    fail("%s: %s '%.60s'; there are %s", where, k == -2 ? "several parameters are called" : "no parameter is called",
         name, all);
    return -1;
}

/* --untie NAME, --free NAME, --fix NAME=VALUE. */
static void apply_fixes(session *s) {
    char err[ERROR_SIZE];
    char name[64];
    for (int i = 0; i < s->opt->untie.n; i++)
        if (xray_problem_untie(&s->problem, find_parameter(s, "--untie", s->opt->untie.item[i]), err)) {
            fail("%s", err);
        }
    for (int i = 0; i < s->opt->free.n; i++)
        s->problem.par[find_parameter(s, "--free", s->opt->free.item[i])].free = 1;
    for (int i = 0; i < s->opt->fix.n; i++) {
        const char *item = s->opt->fix.item[i];
        const char *equals = strchr(item, '=');
        double value = 0;
        if (!equals || equals - item >= (int)sizeof name) {
            fail("--fix: '%.100s' is not NAME=VALUE", item);
        }
        snprintf(name, sizeof name, "%.*s", (int)(equals - item), item);
        const char *wrong;
        if ((wrong = read_real(&value, equals + 1))) {
            fail("--fix %s: '%.60s' %s", name, equals + 1, wrong);
        }
        int k = find_parameter(s, "--fix", name);
        const double lo = s->problem.par[k].lo;
        const double hi = s->problem.par[k].hi;
        if (!(value >= lo && value <= hi)) {
            fail("--fix %s=%g: must be in [%g, %g]", name, value, lo, hi);
        }
        s->problem.par[k].free = 0;
        s->problem.par[k].by_default = 0;
        s->problem.par[k].value = value;
    }
}

/* Ranges from the prior file: every free parameter must have its line there. */
static void apply_prior(session *s) {
    xray_problem *p = &s->problem;
    const prior_row *row_of[XRAY_MAX_ALL] = {NULL};
    bml_mcmc_prior_param param[XRAY_MAX_FREE];
    char err[ERROR_SIZE];
    char where[PATH_SIZE + 32];
    int n = 0;
    if (s->net.nn) {
        if (prior_read_memory(&s->file, s->net.prior, strlen(s->net.prior), "the network's prior", err)) {
            fail("%s", err);
        }
    } else if (!s->opt->prior) {
        return;
    } else if (prior_read(&s->file, s->opt->prior, err)) {
        fail("%s", err);
    }
    for (int i = 0; i < s->file.n; i++) {
        prior_row *row = &s->file.row[i];
        snprintf(where, sizeof where, "%.300s:%ld", s->file.name, row->line);
        int k = find_parameter(s, where, row->name);
        if (row_of[k]) {
            fail("%s: '%s' has a prior already, in line %ld", where, p->par[k].name, row_of[k]->line);
        }
        if (!p->par[k].free && !p->par[k].by_default) {
            fail("%s: '%s' is held by --fix: it takes no prior", where, p->par[k].name);
        }
        p->par[k].free = 1;
        row_of[k] = row;
        if (p->par[k].log && (row->lower < row->upper ? row->lower : row->mean) < 0) {
            fail("%s: '%s' cannot be negative", where, p->par[k].name);
        }
        p->par[k].lo = row->lower < row->upper ? row->lower : row->mean - 6 * row->sd;
        p->par[k].hi = row->lower < row->upper ? row->upper : row->mean + 6 * row->sd;
        p->par[k].from = p->par[k].lo;
        p->par[k].to = p->par[k].hi;
        p->par[k].log = row->kind == PRIOR_LOG_UNIFORM;
    }
    memset(param, 0, sizeof param);
    for (int k = 0; k < p->n_all; k++) {
        if (!p->par[k].free) {
            continue;
        }
        if (!row_of[k]) {
            fail("%.300s: no prior for '%s' (add a line, or --fix it)", s->file.name, p->par[k].name);
        }
        if (n == XRAY_MAX_FREE) {
            fail("fit_xray: more than %d free parameters", (int)XRAY_MAX_FREE);
        }
        PRIOR_PARAM(&param[n], row_of[k]);
        n++;
    }
    char why[BML_MCMC_MESSAGE];
    if (n && bml_mcmc_prior_create(&s->prior, param, n, why)) {
        fail("%.300s: %s", s->file.name, why);
    }
}

/* --background-model: every background spectrum gets it, with parameters of its own. */
static void load_dark(session *s) {
    char err[ERROR_SIZE];
    xray_model dark;
    if (!s->opt->background_model) {
        return;
    }
    if (s->opt->statistic == XRAY_CHI2) {
        fail("fit_xray: --background-model goes with --stat cstat");
    }
    if (xray_model_parse_with(&dark, s->opt->background_model, &s->library, err)) {
        fail("%s", err);
    }
    for (int i = 0; i < s->n_data; i++) {
        if (s->data[i].point || !s->data[i].background) {
            continue;
        }
        if (xray_problem_dark(&s->problem, i, &dark, err)) {
            fail("%s", err);
        }
        s->n_dark++;
    }
    if (!s->n_dark) {
        fail("fit_xray: --background-model: no spectrum has a background");
    }
}

static void load_problem(session *s) {
    char err[ERROR_SIZE];
    if (xray_problem_init(&s->problem, &s->model, s->data, s->n_data, s->opt->statistic, err)) {
        fail("%s", err);
    }
    load_dark(s);
    apply_fixes(s);
    apply_prior(s);
    for (int k = 0; k < s->problem.n_all; k++)
        if (!s->problem.par[k].free && isnan(s->problem.par[k].value)) {
            fail("fit_xray: '%s' must be given: --fix %s=VALUE", s->problem.par[k].name, s->problem.par[k].name);
        }
    for (int i = 0; i < s->threads; i++) {
        s->fitter[i] = xray_fitter_make(&s->problem);
        if (!s->fitter[i]) {
            fail("fit_xray: out of memory, or more than %d free parameters", (int)XRAY_MAX_FREE);
        }
    }
    if (s->fitter[0]->n_free == 0) {
        fail("fit_xray %s: no parameter is free", s->command);
    }
}

/* The band for fluxes: --band LO,HI, or the range of the data. */
static void load_band(session *s) {
    char err[ERROR_SIZE];
    char copy[64];
    s->band[0] = 1e300;
    for (int i = 0; i < s->n_data - (s->n_data > 1 ? s->n_points : 0); i++) {
        s->band[0] = fmin(s->band[0], fmax(s->data[i].e_lo[0], 1e-2));
        s->band[1] = fmax(s->band[1], s->data[i].e_hi[s->data[i].n - 1]);
    }
    if (s->opt->band) {
        snprintf(copy, sizeof copy, "%s", s->opt->band);
        char *comma = strchr(copy, ',');
        if (comma) {
            *comma = 0;
        }
        if (!comma || read_real(&s->band[0], copy) || read_real(&s->band[1], comma + 1)) {
            fail("--band: '%.60s' is not LOW,HIGH in keV", s->opt->band);
        }
    }
    if (xray_grid_band(&s->grid, s->band[0], s->band[1], FLUX_BINS, &s->ism, err)) {
        fail("%s", err);
    }
    s->scratch = xray_alloc(FLUX_BINS, (5 + (size_t)s->model.depth) * sizeof(double));
    if (!s->scratch) {
        fail("fit_xray: out of memory");
    }
}

/* --arf for xray_response_read: "" where none is given, NULL where there is none. */
static const char *given_arf(const options *o) {
    if (!o->arf.n) {
        return "";
    }
    return strcasecmp(o->arf.item[0], "none") ? o->arf.item[0] : NULL;
}

/* Data without counts, from --response and --exposure. */
static void load_blank(session *s, const xray_binning *binning) {
    char err[ERROR_SIZE];
    if (!s->opt->rmf.n) {
        fail("fit_xray %s: a spectrum, or --response and --exposure, are needed", s->command);
    }
    xray_response r;
    xray_pha p;
    if (xray_response_read(&r, s->opt->rmf.item[0], given_arf(s->opt), err) ||
        xray_pha_room(&p, r.n_channel, r.first_channel, s->opt->exposure, err)) {
        fail("%s", err);
    }
    snprintf(p.name, sizeof p.name, "%.1000s", s->opt->rmf.item[0]);
    if (xray_data_make(&s->data[0], &p, NULL, &r, &s->ism, binning, err)) {
        fail("%s", err);
    }
    s->n_data = 1;
    s->input = s->opt->rmf.item[0];
    xray_pha_free(&p);
    xray_response_free(&r);
}

static void close_session(session *s) {
    for (int i = 0; i < s->threads; i++)
        xray_fitter_free(s->fitter[i]);
    for (int i = 0; i < s->n_data; i++)
        xray_data_free(&s->data[i]);
    xray_table_free_all(&s->library);
    xray_ssc_free(s->ssc);
    for (int i = 0; i < s->n_ebl; i++)
        ebl_free(&s->ebl[i]);
    bml_mcmc_prior_free(s->prior);
    prior_free(&s->file);
    xray_net_free(&s->net);
    xray_absorption_free(&s->ism);
    xray_grid_free(&s->grid);
    free(s->scratch);
}

static const char *parameter_name(const session *s, int k) {
    return s->problem.par[s->fitter[0]->free_par[k]].name;
}

/* The unit of free parameter k. */
static const char *parameter_unit(const session *s, int k) {
    int all = s->fitter[0]->free_par[k];
    return s->problem.par[all].unit;
}

static void need_prior(const session *s) {
    if (!s->prior) {
        fail("fit_xray %s: --prior FILE is needed: lines name,kind,a,b", s->command);
    }
}

/* ==== densities for the samplers ================================================================================== */

/* -statistic/2 of n points; over threads. */
static void likelihoods_here(double *out, const double *theta, int n, void *user) {
    session *s = user;
    const size_t n_dim = (size_t)s->fitter[0]->n_free;
#pragma omp parallel for schedule(static) num_threads(s->threads) if (n > 1)
    for (int i = 0; i < n; i++) {
        double v = xray_evaluate(s->fitter[thread_number()], theta + (size_t)i * n_dim);
        out[i] = v < (double)INFINITY ? -0.5 * v : -(double)INFINITY;
    }
}

static void posteriors_here(double *out, const double *theta, int n, void *user) {
    session *s = user;
    const size_t n_dim = (size_t)s->fitter[0]->n_free;
#pragma omp parallel for schedule(static) num_threads(s->threads) if (n > 1)
    for (int i = 0; i < n; i++) {
        const double *at = theta + (size_t)i * n_dim;
        double prior = bml_mcmc_prior_log_density(s->prior, at);
        out[i] = -(double)INFINITY;
        if (!(prior > -(double)INFINITY)) {
            continue;
        }
        double v = xray_evaluate(s->fitter[thread_number()], at);
        if (v < (double)INFINITY) {
            out[i] = prior - 0.5 * v;
        }
    }
}

/* Which of the two the ranks of MPI share. */
static void share(session *s, void (*work)(double *, const double *, int, void *)) {
    s->others = (farm){.n_in = s->fitter[0]->n_free, .n_out = 1, .block = 4, .work = work, .user = s};
}

static void shared(double *out, const double *theta, int n, session *s) {
    const int status = farm_map(out, theta, n, &s->others);
    if (status) {
        fail("fit_xray %s: %s", s->command, farm_strerror(status));
    }
}

/* The callbacks of the samplers. */
static void log_likelihood(double *out, const double *theta, int n, int n_dim, void *user) {
    (void)n_dim;
    share(user, likelihoods_here);
    shared(out, theta, n, user);
}

static void log_posterior(double *out, const double *theta, int n, int n_dim, void *user) {
    (void)n_dim;
    share(user, posteriors_here);
    shared(out, theta, n, user);
}
#endif
