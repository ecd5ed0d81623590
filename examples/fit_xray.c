/* fit_xray: an X-ray spectrum (PHA, RMF, ARF) in; parameters, goodness of fit, posteriors, fluxes and pictures out.

     build/fit_xray fit source.pha --model 'tbabs*(powerlaw+bbodyrad)' --e-min 0.5 --e-max 10
     build/fit_xray nested source.pha --model 'tbabs*powerlaw' --prior prior.csv
     build/fit_xray sample source.pha --model 'tbabs*powerlaw' --prior prior.csv
     build/fit_xray fakeit new.pha --rmf d.rmf --exposure 1e4 --model powerlaw --fix PhoIndex=2 --fix norm=1e-3
     build/fit_xray train source.pha --model 'tbabs*powerlaw' --prior prior.csv --n 50000 --out net/net.safetensors
     build/fit_xray infer source.pha --net net/net.safetensors
     build/fit_xray judge source.pha --net net/net.safetensors --n 500

   Several spectra are fitted together; --untie NAME gives each but the first its own value of a parameter.
   Models, statistics and files: xray.h. Fits: xray_fit.h. Networks: xray_net.h, xray_train.h, xray_judge.h. Pictures:
   xray_plot.h. Samplers: bml_mcmc.h. */
#include "common.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#include "xray_judge.h"
#include "xray_plot.h"

enum { MAX_THREADS = 256, FLUX_BINS = 1000 };

typedef struct options {
    const char *model, *prior, *rmf, *arf, *background, *absorption, *band, *net, *train_on, *start, *out;
    int abundance, group, statistic, keep_bad, resample, quiet;
    long every, min_counts, starts, simulations, threads, live_points, walkers, steps, draws;
    long n, epochs, batch, units, depth, components, evaluations;
    double e_min, e_max, systematic, exposure, min_ess, dropout, rate;
    uint64_t seed;
    option_list fix, untie;
} options;

/* Everything a command works on. */
typedef struct session {
    options *opt;
    const option_row *rows;
    const char *command, *input;
    xray_absorption ism;
    xray_model model;
    xray_data data[XRAY_MAX_DATA];
    int n_data;
    xray_problem problem;
    prior_file file;
    bml_mcmc_prior *prior;
    xray_fitter *fitter[MAX_THREADS]; /* one for each thread */
    xray_net net;                     /* infer, judge, compare */
    int threads;
    double band[2];  /* keV */
    xray_grid grid;  /* of the band */
    double *scratch; /* for fluxes */
    double start;    /* time */
} session;

static int thread_number(void) {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

/* ==== setting up ================================================================================================== */

static void load_absorption(session *s) {
    char err[ERROR_SIZE];
    int bad = s->opt->absorption ? xray_absorption_read(&s->ism, s->opt->absorption, err)
                                 : xray_absorption_builtin(&s->ism, s->opt->abundance, err);
    if (bad) fail("%s", err);
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

static void load_model(session *s) {
    char err[ERROR_SIZE];
    if (!s->opt->model) fail("fit_xray %s: --model is needed, such as --model 'tbabs*powerlaw'", s->command);
    if (xray_model_parse(&s->model, s->opt->model, err)) fail("%s", err);
}

static void load_data(session *s, const xray_binning *binning, char **files, int n) {
    xray_files named = {s->opt->rmf, s->opt->arf, s->opt->background};
    xray_binning b = *binning;
    char err[ERROR_SIZE];
    if (b.e_hi > 0 && !(b.e_lo < b.e_hi)) fail("fit_xray: --e-min %g must be below --e-max %g", b.e_lo, b.e_hi);
    if (n < 1) fail("fit_xray %s: a spectrum is needed, see --help", s->command);
    if (n > XRAY_MAX_DATA) fail("fit_xray: more than %d spectra", (int)XRAY_MAX_DATA);
    if (s->opt->statistic != XRAY_W && s->opt->statistic != XRAY_CHI2 && !named.background) named.background = "none";
    for (int i = 0; i < n; i++, s->n_data++)
        if (xray_data_read(&s->data[i], files[i], &named, &s->ism, &b, err)) fail("%s", err);
    s->input = files[0];
}

/* The parameter of that name; ends the program with a message that begins with `where`. */
static int find_parameter(const session *s, const char *where, const char *name) {
    const xray_problem *p = &s->problem;
    char all[ERROR_SIZE] = "";
    int k = xray_problem_find(p, name);
    if (k >= 0) return k;
    for (int i = 0; i < p->n_all; i++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", p->par[i].name);
    }
    fail("%s: %s '%.60s'; there are %s", where, k == -2 ? "several parameters are called" : "no parameter is called",
         name, all);
    return -1;
}

/* --fix NAME=VALUE, --untie NAME. */
static void apply_fixes(session *s) {
    char err[ERROR_SIZE], name[64];
    for (int i = 0; i < s->opt->untie.n; i++)
        if (xray_problem_untie(&s->problem, find_parameter(s, "--untie", s->opt->untie.item[i]), err)) fail("%s", err);
    for (int i = 0; i < s->opt->fix.n; i++) {
        const char *item = s->opt->fix.item[i], *equals = strchr(item, '='), *wrong;
        double value = 0;
        int k;
        if (!equals || equals - item >= (int)sizeof name) fail("--fix: '%.100s' is not NAME=VALUE", item);
        snprintf(name, sizeof name, "%.*s", (int)(equals - item), item);
        if ((wrong = read_real(&value, equals + 1))) fail("--fix %s: '%.60s' %s", name, equals + 1, wrong);
        k = find_parameter(s, "--fix", name);
        s->problem.par[k].free = 0;
        s->problem.par[k].value = value;
    }
}

/* Ranges from the prior file: every free parameter must have its line there. */
static void apply_prior(session *s) {
    xray_problem *p = &s->problem;
    const prior_row *row_of[XRAY_MAX_ALL] = {NULL};
    bml_mcmc_prior_param param[XRAY_MAX_FREE];
    char err[ERROR_SIZE], where[PATH_SIZE + 32];
    int n = 0;
    if (s->net.nn) {
        if (prior_read_memory(&s->file, s->net.prior, strlen(s->net.prior), "the network's prior", err))
            fail("%s", err);
    } else if (!s->opt->prior) {
        return;
    } else if (prior_read(&s->file, s->opt->prior, err)) {
        fail("%s", err);
    }
    for (int i = 0; i < s->file.n; i++) {
        prior_row *row = &s->file.row[i];
        int k;
        snprintf(where, sizeof where, "%.300s:%ld", s->file.name, row->line);
        k = find_parameter(s, where, row->name);
        if (row_of[k]) fail("%s: '%s' has a prior already, in line %ld", where, p->par[k].name, row_of[k]->line);
        if (!p->par[k].free) fail("%s: '%s' is held by --fix: it takes no prior", where, p->par[k].name);
        row_of[k] = row;
        p->par[k].lo = row->lower < row->upper ? row->lower : row->mean - 6 * row->sd;
        p->par[k].hi = row->lower < row->upper ? row->upper : row->mean + 6 * row->sd;
        p->par[k].log = row->kind == PRIOR_LOG_UNIFORM;
    }
    memset(param, 0, sizeof param);
    for (int k = 0; k < p->n_all; k++) {
        if (!p->par[k].free) continue;
        if (!row_of[k]) fail("%.300s: no prior for '%s' (add a line, or --fix it)", s->file.name, p->par[k].name);
        if (n == XRAY_MAX_FREE) fail("fit_xray: more than %d free parameters", (int)XRAY_MAX_FREE);
        PRIOR_PARAM(&param[n], row_of[k]);
        n++;
    }
    if (n && bml_mcmc_prior_create(&s->prior, param, n))
        fail("%.300s: %s", s->file.name, bml_mcmc_prior_message(s->prior));
}

static void load_problem(session *s) {
    char err[ERROR_SIZE];
    int n = (int)s->opt->threads;
#ifdef _OPENMP
    if (n == 0) n = omp_get_max_threads();
#else
    n = 1;
#endif
    s->threads = n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : n;
    if (xray_problem_init(&s->problem, &s->model, s->data, s->n_data, s->opt->statistic, err)) fail("%s", err);
    apply_fixes(s);
    apply_prior(s);
    for (int i = 0; i < s->threads; i++) {
        s->fitter[i] = xray_fitter_make(&s->problem);
        if (!s->fitter[i]) fail("fit_xray: out of memory, or more than %d free parameters", (int)XRAY_MAX_FREE);
    }
    if (s->fitter[0]->n_free == 0) fail("fit_xray %s: no parameter is free", s->command);
}

/* The band for fluxes: --band LO,HI, or the range of the data. */
static void load_band(session *s) {
    char err[ERROR_SIZE], copy[64], *comma;
    s->band[0] = 1e300;
    for (int i = 0; i < s->n_data; i++) {
        s->band[0] = fmin(s->band[0], fmax(s->data[i].e_lo[0], 1e-2));
        s->band[1] = fmax(s->band[1], s->data[i].e_hi[s->data[i].n - 1]);
    }
    if (s->opt->band) {
        snprintf(copy, sizeof copy, "%s", s->opt->band);
        comma = strchr(copy, ',');
        if (comma) *comma = 0;
        if (!comma || read_real(&s->band[0], copy) || read_real(&s->band[1], comma + 1))
            fail("--band: '%.60s' is not LOW,HIGH in keV", s->opt->band);
    }
    if (xray_grid_band(&s->grid, s->band[0], s->band[1], FLUX_BINS, &s->ism, err)) fail("%s", err);
    s->scratch = xray_alloc(FLUX_BINS, (5 + (size_t)s->model.depth) * sizeof(double));
    if (!s->scratch) fail("fit_xray: out of memory");
}

static void close_session(session *s) {
    for (int i = 0; i < s->threads; i++) xray_fitter_free(s->fitter[i]);
    for (int i = 0; i < s->n_data; i++) xray_data_free(&s->data[i]);
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

/* ==== densities for the samplers ================================================================================== */

/* -statistic/2 of n points; over threads. */
static void log_likelihood(double *out, const double *theta, int n, int n_dim, void *user) {
    session *s = user;
#pragma omp parallel for schedule(static) num_threads(s->threads) if (n > 1)
    for (int i = 0; i < n; i++) {
        double v = xray_evaluate(s->fitter[thread_number()], theta + (size_t)i * (size_t)n_dim);
        out[i] = v < (double)INFINITY ? -0.5 * v : -(double)INFINITY;
    }
}

static void log_posterior(double *out, const double *theta, int n, int n_dim, void *user) {
    session *s = user;
#pragma omp parallel for schedule(static) num_threads(s->threads) if (n > 1)
    for (int i = 0; i < n; i++) {
        const double *at = theta + (size_t)i * (size_t)n_dim;
        double prior = bml_mcmc_prior_log_density(s->prior, at), v;
        out[i] = -(double)INFINITY;
        if (!(prior > -(double)INFINITY)) continue;
        v = xray_evaluate(s->fitter[thread_number()], at);
        if (v < (double)INFINITY) out[i] = prior - 0.5 * v;
    }
}

/* ==== results ===================================================================================================== */

/* Median and 68 % interval of values[n], which are sorted. */
static void interval_of(double *out, double *values, long n) {
    out[0] = bml_mcmc_quantile(values, (size_t)n, 0.5);
    out[1] = bml_mcmc_quantile(values, (size_t)n, 0.158655);
    out[2] = bml_mcmc_quantile(values, (size_t)n, 0.841345);
}

/* Fluxes in the band at draws theta[n][d]: absorbed and unabsorbed, median and 68 % interval; of the first spectrum. */
static void flux_table(session *s, const double *theta, long n, double out[2][3]) {
    int d = s->fitter[0]->n_free;
    double full[XRAY_MAX_PAR], *flux = xray_alloc((size_t)n, sizeof *flux);
    if (!flux) fail("fit_xray: out of memory");
    for (int bare = 0; bare < 2; bare++) {
        for (long i = 0; i < n; i++) {
            xray_expand(full, s->fitter[0], 0, theta + i * d);
            flux[i] = xray_flux(&s->model, &s->grid, full, !bare, s->scratch);
        }
        interval_of(out[bare], flux, n);
    }
    free(flux);
    printf("flux %.4g to %.4g keV: absorbed %.4g (%.4g to %.4g), unabsorbed %.4g (%.4g to %.4g) erg/(cm2 s)\n",
           s->band[0], s->band[1], out[0][0], out[0][1], out[0][2], out[1][0], out[1][1], out[1][2]);
}

/* DIR/flux.csv */
static void write_flux(session *s, double flux[2][3]) {
    double values[2][6];
    char err[ERROR_SIZE];
    for (int i = 0; i < 2; i++) {
        values[i][0] = s->band[0], values[i][1] = s->band[1], values[i][2] = i;
        memcpy(&values[i][3], flux[i], 3 * sizeof(double));
    }
    if (csv_write(s->opt->out, "flux.csv", "e_min_keV,e_max_keV,unabsorbed,flux_erg_cm2_s,lo68,hi68", values[0], 2, 6,
                  err))
        fail("%s", err);
}

/* DIR/bins.csv: the data and the model at theta. */
static void write_bins(session *s, const double *theta) {
    xray_fitter *f = s->fitter[0];
    out_file o;
    char err[ERROR_SIZE];
    const double *m = f->model;
    xray_counts(f->model, f, theta);
    if (out_begin(&o, s->opt->out, "bins.csv", err)) fail("%s", err);
    fprintf(o.f, "spectrum,e_lo_keV,e_hi_keV,counts,background_counts,background_ratio,model_counts\n");
    for (int i = 0; i < s->n_data; i++)
        for (int b = 0; b < s->data[i].n; b++, m++) {
            const xray_data *d = &s->data[i];
            fprintf(o.f, "%d,%.7g,%.7g,%.10g,%.10g,%.7g,%.9g\n", i + 1, d->e_lo[b], d->e_hi[b], d->counts[b],
                    d->background ? d->background[b] : 0, d->ratio[b], *m);
        }
    if (out_commit(&o, err)) fail("%s", err);
}

/* DIR/spectrum.png of the model at theta. */
static void plot_spectrum(session *s, const double *theta) {
    xray_fitter *f = s->fitter[0];
    char err[ERROR_SIZE];
    xray_counts(f->model, f, theta);
    if (xray_plot_spectrum(s->opt->out, s->data, s->n_data, s->opt->statistic, f->model, s->band, err)) fail("%s", err);
}

/* The names of the free parameters, label[d]. */
static void all_names(const char **label, const session *s) {
    for (int k = 0; k < s->fitter[0]->n_free; k++) label[k] = parameter_name(s, k);
}

static void write_run(session *s, const run_entry *results) {
    char err[ERROR_SIZE];
    run_info run = {.program = "fit_xray",
                    .options = s->rows,
                    .input = s->input,
                    .seed = s->opt->seed,
                    .seconds = seconds_now() - s->start,
                    .results = results};
    if (run_write(s->opt->out, &run, err)) fail("%s", err);
}

/* ==== fit ========================================================================================================= */

/* Draws around the best fit from its covariance in the cube, for fluxes: theta[n][d]. */
static void normal_draws(double *theta, const session *s, const xray_best *best, long n) {
    const xray_fitter *f = s->fitter[0];
    int d = f->n_free;
    double a[XRAY_MAX_FREE * XRAY_MAX_FREE], u[XRAY_MAX_FREE];
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, s->opt->seed, 9);
    memcpy(a, best->covariance, (size_t)(d * d) * sizeof *a);
    for (int k = 0; k < d; k++) a[k * d + k] += 1e-16;
    if (!xray_cholesky(a, d)) memset(a, 0, sizeof a);
    for (long i = 0; i < n; i++) {
        double z[XRAY_MAX_FREE];
        for (int k = 0; k < d; k++) z[k] = bml_mcmc_rng_normal(&rng);
        for (int k = 0; k < d; k++) {
            u[k] = best->u[k];
            for (int l = 0; l <= k; l++) u[k] += a[k * d + l] * z[l];
            u[k] = u[k] > 0 ? (u[k] < 1 ? u[k] : 1) : 0;
        }
        xray_from_cube(theta + i * d, f, u);
    }
}

/* Intervals of all parameters, [d][4]: 68.3 % and 90 %. Starts again when a better place turns up. */
static void all_intervals(double *out, session *s, xray_best *best) {
    xray_fitter *f = s->fitter[0];
    for (int k = 0, again = 0; k < f->n_free; k++) {
        double *row = out + 4 * k;
        if (!xray_interval(&row[0], &row[1], f, best, k, 1.0) && !xray_interval(&row[2], &row[3], f, best, k, 2.706))
            continue;
        if (again++ < 20) k = -1;
    }
}

static void print_fit(const session *s, const xray_best *best, const double *interval) {
    printf("%-22s %12s %10s %25s %25s\n", "parameter", "value", "sigma", "68 % interval", "90 % interval");
    for (int k = 0; k < s->fitter[0]->n_free; k++) {
        const double *i = interval + 4 * k;
        printf("%-22s %12.5g %10.2g %12.5g %12.5g %12.5g %12.5g  %s\n", parameter_name(s, k), best->theta[k],
               best->sigma[k], i[0], i[1], i[2], i[3], s->problem.par[s->fitter[0]->free_par[k]].unit);
    }
}

static int command_fit(session *s) {
    enum { DRAWS = 1000 };
    static const char *const names[] = {"C", "W", "chi2"};
    xray_fitter *f = s->fitter[0];
    xray_best best;
    double interval[4 * XRAY_MAX_FREE], *theta, flux[2][3], goodness = (double)NAN, mean = 0, variance = 0;
    char err[ERROR_SIZE];
    out_file o;
    xray_fit_starts(&best, f, (int)s->opt->starts, s->opt->seed);
    if (!isfinite(best.statistic)) fail("fit_xray fit: the model is not finite anywhere in its ranges");
    all_intervals(interval, s, &best);
    if (s->opt->simulations > 0) goodness = xray_goodness(f, &best, (int)s->opt->simulations, s->opt->seed);
    xray_counts(f->model, f, best.theta);
    xray_c_expected(&mean, &variance, f->model, f->n_bin);
    print_fit(s, &best, interval);
    printf("%s %.2f in %d bins, %d free parameters; %d of %ld starts ended there\n", names[s->opt->statistic],
           best.statistic, f->n_bin, f->n_free, best.agree, s->opt->starts);
    if (s->opt->statistic == XRAY_C) printf("C of a perfect model: %.1f +- %.1f\n", mean - f->n_free, sqrt(variance));
    if (s->opt->simulations > 0)
        printf("%.1f %% of %ld simulations of this model fit better\n", 100 * goodness, s->opt->simulations);
    theta = xray_alloc(DRAWS, (size_t)f->n_free * sizeof *theta);
    if (!theta) fail("fit_xray: out of memory");
    normal_draws(theta, s, &best, DRAWS);
    flux_table(s, theta, DRAWS, flux);
    free(theta);
    if (out_begin(&o, s->opt->out, "parameters.csv", err)) fail("%s", err);
    fprintf(o.f, "parameter,unit,value,sigma,lo68,hi68,lo90,hi90\n");
    for (int k = 0; k < f->n_free; k++)
        fprintf(o.f, "%s,%s,%.9g,%.6g,%.9g,%.9g,%.9g,%.9g\n", parameter_name(s, k), s->problem.par[f->free_par[k]].unit,
                best.theta[k], best.sigma[k], interval[4 * k], interval[4 * k + 1], interval[4 * k + 2],
                interval[4 * k + 3]);
    if (out_commit(&o, err)) fail("%s", err);
    write_flux(s, flux);
    write_bins(s, best.theta);
    plot_spectrum(s, best.theta);
    {
        run_entry results[] = {{"statistic", best.statistic, NULL},
                               {"bins", f->n_bin, NULL},
                               {"free", f->n_free, NULL},
                               {"starts_that_agree", best.agree, NULL},
                               {"share_of_simulations_below", goodness, NULL},
                               {"evaluations", (double)f->evaluations, NULL},
                               {NULL, 0, NULL}};
        write_run(s, results);
    }
    return best.converged ? 0 : 2;
}

/* ==== posteriors ================================================================================================== */

/* Tables and pictures of equally weighted draws theta[n][d]; best[d] is drawn with the data. */
static void write_posterior(session *s, const double *theta, long n, const double *best) {
    int d = s->fitter[0]->n_free;
    const char *label[XRAY_MAX_FREE], *unit[XRAY_MAX_FREE];
    double *column = xray_alloc((size_t)n, sizeof *column), flux[2][3];
    long shape[2] = {n, d};
    char err[ERROR_SIZE];
    out_file o;
    if (!column) fail("fit_xray: out of memory");
    printf("%-22s %12s %12s %12s %12s %12s\n", "parameter", "median", "68 % from", "to", "mean", "sd");
    if (out_begin(&o, s->opt->out, "parameters.csv", err)) fail("%s", err);
    fprintf(o.f, "parameter,unit,median,lo68,hi68,mean,sd,best\n");
    for (int k = 0; k < d; k++) {
        double q[3], mean = 0, square = 0;
        for (long i = 0; i < n; i++) column[i] = theta[i * d + k], mean += column[i] / (double)n;
        for (long i = 0; i < n; i++) square += (column[i] - mean) * (column[i] - mean) / (double)(n - 1);
        interval_of(q, column, n);
        label[k] = parameter_name(s, k);
        unit[k] = s->problem.par[s->fitter[0]->free_par[k]].unit;
        printf("%-22s %12.5g %12.5g %12.5g %12.5g %12.3g  %s\n", label[k], q[0], q[1], q[2], mean, sqrt(square),
               unit[k]);
        fprintf(o.f, "%s,%s,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g\n", label[k], unit[k], q[0], q[1], q[2], mean, sqrt(square),
                best[k]);
    }
    free(column);
    if (out_commit(&o, err)) fail("%s", err);
    flux_table(s, theta, n, flux);
    write_flux(s, flux);
    write_bins(s, best);
    if (npy_write(s->opt->out, "posterior.npy", theta, shape, 2, err)) fail("%s", err);
    if (d <= PLOT_DIM_MAX) {
        plot_corner p = {.n_dim = d, .label = label, .unit = unit, .chain = {NULL, theta, n}};
        if (plot_corner_write(&p, s->opt->out, "corner", err) < 0) fail("%s", err);
    }
    plot_spectrum(s, best);
}

static void need_prior(const session *s) {
    if (!s->prior) fail("fit_xray %s: --prior FILE is needed: lines name,kind,a,b", s->command);
}

static int sample_progress(const bml_mcmc_progress *p, void *user) {
    char note[64];
    snprintf(note, sizeof note, "%.0f %% accepted", 100 * p->acceptance);
    progress_at(user, (double)p->step, note);
    return 0;
}

/* n draws theta[n][d], evenly along the chain of an ensemble that starts at the best of many fits. Returns 0, or 1
   when it has not converged. *best and summary[d], unless NULL, are filled in. */
static int ensemble_draws(session *s, double *theta, long n, xray_best *best, bml_mcmc_summary *summary) {
    xray_fitter *f = s->fitter[0];
    int d = f->n_free, status;
    xray_best found;
    progress_bar bar;
    bml_mcmc_ensemble *e;
    bml_mcmc_summary all[XRAY_MAX_FREE];
    bml_mcmc_chain chain;
    double radius[XRAY_MAX_FREE], center[XRAY_MAX_FREE];
    bml_mcmc_config config = {.n_dim = d,
                              .n_walkers = (int)s->opt->walkers,
                              .seed = s->opt->seed,
                              .log_prob = log_posterior,
                              .user = s,
                              .progress = sample_progress,
                              .progress_user = &bar};
    need_prior(s);
    xray_fit_starts(&found, f, (int)s->opt->starts, s->opt->seed);
    for (int k = 0; k < d; k++) { /* a ball as wide as the errors, inside the ranges */
        const xray_parameter *q = &s->problem.par[f->free_par[k]];
        radius[k] = fmin(found.sigma[k] > 0 ? found.sigma[k] : 1e-2 * (q->hi - q->lo), 0.05 * (q->hi - q->lo));
        center[k] = fmin(fmax(found.theta[k], q->lo + radius[k]), q->hi - radius[k]);
    }
    progress_begin(&bar, "sampling", (double)s->opt->steps, s->opt->quiet);
    status = bml_mcmc_ensemble_create(&e, &config);
    if (!status) status = bml_mcmc_start_ball(e, center, radius);
    if (!status) status = bml_mcmc_run(e, (size_t)s->opt->steps);
    progress_end(&bar);
    if (!status) status = bml_mcmc_ensemble_summary(e, all, (size_t)s->opt->steps / 5);
    if (status && status != BML_MCMC_NOT_CONVERGED)
        fail("fit_xray %s: %s: %s", s->command, bml_mcmc_strerror(status), bml_mcmc_ensemble_message(e));
    chain = bml_mcmc_chain_drop(bml_mcmc_ensemble_chain(e), (size_t)s->opt->steps / 5);
    for (long i = 0; i < n; i++) {
        size_t length = chain.n_steps * (size_t)chain.n_walkers, at = (size_t)((double)i / (double)n * (double)length);
        memcpy(theta + i * d, chain.theta + at * (size_t)d, (size_t)d * sizeof *theta);
    }
    if (best) *best = found;
    if (summary) memcpy(summary, all, (size_t)d * sizeof *all);
    bml_mcmc_ensemble_free(e);
    return status != 0;
}

static int command_sample(session *s) {
    int d = s->fitter[0]->n_free, not_converged;
    double *theta = xray_alloc((size_t)s->opt->draws, (size_t)d * sizeof *theta), ess = 1e300, tau = 0;
    xray_best best;
    bml_mcmc_summary summary[XRAY_MAX_FREE];
    if (!theta) fail("fit_xray: out of memory");
    not_converged = ensemble_draws(s, theta, s->opt->draws, &best, summary);
    write_posterior(s, theta, s->opt->draws, best.theta);
    for (int k = 0; k < d; k++) ess = fmin(ess, summary[k].ess), tau = fmax(tau, summary[k].tau);
    printf("best %.2f in %d bins; %.0f effective samples, autocorrelation %.1f steps%s\n", best.statistic,
           s->fitter[0]->n_bin, ess, tau, not_converged ? ": NOT converged, take more --steps" : "");
    {
        run_entry results[] = {{"best_statistic", best.statistic, NULL},
                               {"effective_samples", ess, NULL},
                               {"autocorrelation_steps", tau, NULL},
                               {"converged", !not_converged, NULL},
                               {NULL, 0, NULL}};
        write_run(s, results);
    }
    free(theta);
    return not_converged ? 2 : 0;
}

static int nested_progress(const bml_mcmc_nested_progress *p, void *user) {
    char note[96];
    snprintf(note, sizeof note, "ln Z %.2f, %.3g of it left", p->log_z, p->remaining);
    progress_at(user, p->remaining > 0 ? fmin(1, log(p->remaining) / log(0.01)) : 1, note);
    return 0;
}

/* n equally weighted draws theta[n][d] by nested sampling, and what it found; the caller frees the sampler, which owns
   it. */
static bml_mcmc_nested *nested_draws(session *s, double *theta, long n, bml_mcmc_nested_result *r) {
    int status;
    bml_mcmc_nested *sampler;
    progress_bar bar;
    bml_mcmc_nested_config config = {.n_dim = s->fitter[0]->n_free,
                                     .live_points = (int)s->opt->live_points,
                                     .seed = s->opt->seed,
                                     .log_likelihood = log_likelihood,
                                     .prior = s->prior,
                                     .user = s,
                                     .min_ess = s->opt->min_ess,
                                     .progress = nested_progress,
                                     .progress_user = &bar};
    need_prior(s);
    progress_begin(&bar, "nested sampling", 1, s->opt->quiet);
    status = bml_mcmc_nested_create(&sampler, &config);
    if (!status) status = bml_mcmc_nested_run(sampler, 0);
    progress_end(&bar);
    if (!status || status == BML_MCMC_NOT_CONVERGED) status = bml_mcmc_nested_get_result(sampler, r);
    if (!status) status = bml_mcmc_nested_draw(sampler, theta, NULL, (size_t)n, s->opt->seed);
    if (status) fail("fit_xray %s: %s: %s", s->command, bml_mcmc_strerror(status), bml_mcmc_nested_message(sampler));
    return sampler;
}

/* Posterior and evidence. Returns 0, or 2 when the sampler's own tests are not content. */
static int command_nested(session *s) {
    int d = s->fitter[0]->n_free;
    bml_mcmc_nested *sampler;
    bml_mcmc_nested_result r;
    double *theta = xray_alloc((size_t)s->opt->draws, (size_t)d * sizeof *theta);
    if (!theta) fail("fit_xray: out of memory");
    sampler = nested_draws(s, theta, s->opt->draws, &r);
    write_posterior(s, theta, s->opt->draws, r.theta + (r.n_points - 1) * (size_t)d);
    printf("ln Z %.2f +- %.2f, information %.1f nats, %.0f effective samples, %llu likelihoods, best %.2f in %d bins\n",
           r.log_z, r.log_z_error, r.information, r.ess, (unsigned long long)r.evaluations,
           -2 * r.log_likelihood[r.n_points - 1], s->fitter[0]->n_bin);
    if (!r.rank_ok) printf("the insertion-rank test fails (p = %.2g): do not trust this run\n", r.rank_p);
    {
        run_entry results[] = {{"log_z", r.log_z, NULL},
                               {"log_z_error", r.log_z_error, NULL},
                               {"information_nats", r.information, NULL},
                               {"effective_samples", r.ess, NULL},
                               {"evaluations", (double)r.evaluations, NULL},
                               {"rank_p", r.rank_p, NULL},
                               {"best_statistic", -2 * r.log_likelihood[r.n_points - 1], NULL},
                               {NULL, 0, NULL}};
        write_run(s, results);
    }
    free(theta);
    bml_mcmc_nested_free(sampler);
    return r.converged && r.rank_ok ? 0 : 2;
}

/* ==== fakeit ====================================================================================================== */

static int command_fakeit(session *s, const char *path) {
    xray_response r;
    xray_pha p;
    xray_data d;
    xray_work *work;
    xray_binning single = {.how = XRAY_GROUP_NONE};
    bml_mcmc_rng rng;
    char err[ERROR_SIZE];
    double full[XRAY_MAX_PAR], total = 0;
    if (!s->opt->rmf) fail("fit_xray fakeit: --rmf is needed");
    if (xray_response_read(&r, s->opt->rmf, s->opt->arf, err) ||
        xray_pha_room(&p, r.n_channel, r.first_channel, s->opt->exposure, err) ||
        xray_data_make(&d, &p, NULL, &r, &s->ism, &single, err) ||
        xray_problem_init(&s->problem, &s->model, &d, 1, XRAY_C, err))
        fail("%s", err);
    apply_fixes(s);
    for (int k = 0; k < s->problem.n_all; k++) {
        if (s->problem.par[k].free)
            fail("fit_xray fakeit: '%s' needs a value: --fix %s=...", s->problem.par[k].name, s->problem.par[k].name);
        full[k] = s->problem.par[k].value;
    }
    work = xray_work_make(&s->model, &d, 1);
    if (!work) fail("fit_xray: out of memory");
    xray_fold_model(d.model, &d, &s->model, full, work);
    bml_mcmc_rng_init(&rng, s->opt->seed, 10);
    for (int c = 0; c < p.n; c++) {
        p.counts[c] = d.bin[c] >= 0 ? xray_poisson(&rng, d.model[d.bin[c]]) : 0;
        total += p.counts[c];
    }
    if (xray_pha_write(&p, path, s->opt->rmf, s->opt->arf, err)) fail("%s", err);
    printf("%s: %.0f counts in %d channels, %g s\n", path, total, p.n, p.exposure);
    xray_work_free(work);
    xray_data_free(&d);
    xray_pha_free(&p);
    xray_response_free(&r);
    return 0;
}

/* ==== networks ==================================================================================================== */

/* Data without counts, from --response and --exposure. */
static void load_blank(session *s, const xray_binning *binning) {
    xray_response r;
    xray_pha p;
    char err[ERROR_SIZE];
    if (!s->opt->rmf) fail("fit_xray %s: a spectrum, or --response and --exposure, are needed", s->command);
    if (xray_response_read(&r, s->opt->rmf, s->opt->arf, err) ||
        xray_pha_room(&p, r.n_channel, r.first_channel, s->opt->exposure, err))
        fail("%s", err);
    snprintf(p.name, sizeof p.name, "%.1000s", s->opt->rmf);
    if (xray_data_make(&s->data[0], &p, NULL, &r, &s->ism, binning, err)) fail("%s", err);
    s->n_data = 1;
    s->input = s->opt->rmf;
    xray_pha_free(&p);
    xray_response_free(&r);
}

/* The prior's lines, as they travel in the network's file. */
static void prior_lines(char *text, size_t size, const session *s) {
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < s->file.n && used < size; i++) {
        const prior_row *r = &s->file.row[i];
        int limits = r->lower < r->upper;
        if (r->kind == PRIOR_TABLE) fail("%.300s:%ld: train takes no tables", s->file.name, r->line);
        used += (size_t)snprintf(text + used, size - used, "%s,%s", r->name,
                                 r->kind == PRIOR_UNIFORM       ? "uniform"
                                 : r->kind == PRIOR_LOG_UNIFORM ? "loguniform"
                                 : limits                       ? "truncnormal"
                                                                : "normal");
        if (used < size && r->kind == PRIOR_NORMAL)
            used += (size_t)snprintf(text + used, size - used, ",%.17g,%.17g", r->mean, r->sd);
        if (used < size && (limits || r->kind != PRIOR_NORMAL))
            used += (size_t)snprintf(text + used, size - used, ",%.17g,%.17g", r->lower, r->upper);
        if (used < size) used += (size_t)snprintf(text + used, size - used, "\n");
    }
    if (used >= size) fail("%.300s: too long", s->file.name);
}

/* ---- train ---- */

typedef struct training_set {
    xray_set set;
    float *x, *y; /* [n][n_in], [n][n_out]: training rows, then validation, then test */
    size_t n_train, n_val, n_test;
} training_set;

/* Spectra simulated from the prior, 60/20/20; or from --train-on: of its first four fifths an eighth validates. */
static void make_set(training_set *t, session *s, const xray_net *net) {
    char err[ERROR_SIZE];
    size_t n = (size_t)s->opt->n, n_in = bml_nn_n_in(net->nn), n_out = bml_nn_n_out(net->nn), d = (size_t)net->d;
    double t0 = seconds_now();
    if (s->opt->train_on ? xray_set_read(&t->set, s->opt->train_on, s->prior, net->d, net->n_bin, err)
                         : xray_set_make(&t->set, n, 0, s->fitter, s->threads, s->prior, s->opt->seed, err))
        fail("%s", err);
    n = t->set.n;
    if (n < 50) fail("%.300s: %zu spectra are too few", s->opt->train_on, n);
    t->n_test = n / 5;
    t->n_val = s->opt->train_on ? (n - n / 5) / 8 : n / 5;
    t->n_train = n - t->n_test - t->n_val;
    t->x = xray_alloc(n, n_in * sizeof *t->x);
    t->y = xray_alloc(n, n_out * sizeof *t->y);
    if (!t->x || !t->y) fail("fit_xray train: out of memory");
    if (s->opt->train_on) xray_set_inputs(t->x, &t->set, net->mixture);
    else xray_set_noise(t->x, &t->set, 0, n, net->mixture, s->opt->seed, 0, s->threads);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < d; k++) {
            float u = t->set.u[i * d + k];
            t->y[i * n_out + k] = net->mixture ? (float)xray_probit((double)u) : u;
        }
    printf("%zu spectra %s in %.1f s\n", n, s->opt->train_on ? "read" : "simulated", seconds_now() - t0);
}

/* The published settings, unless told otherwise. */
static void training_defaults(options *o, int kind) {
    int mlp = kind == XRAY_MLP;
    if (!o->units) o->units = mlp ? 256 : 100;
    if (!o->depth) o->depth = 4;
    if (!o->epochs && !(mlp && o->start && o->train_on)) o->epochs = mlp ? 60 : 5000;
    if (!o->batch) o->batch = mlp ? 128 : 32;
    if (!(o->rate > 0)) o->rate = mlp ? 1e-3 : 1e-4;
    if (!(o->dropout >= 0)) o->dropout = mlp ? 0 : 0.1;
}

/* The settings as bml_nn.h takes them. */
static bml_nn_training training_of(const session *s, const xray_net *net, const training_set *t, int *kd) {
    size_t n_in = bml_nn_n_in(net->nn), n_out = bml_nn_n_out(net->nn);
    bml_nn_training how = {.x = t->x,
                           .y = t->y,
                           .n = t->n_train,
                           .x_val = t->x + t->n_train * n_in,
                           .y_val = t->y + t->n_train * n_out,
                           .n_val = t->n_val,
                           .loss = net->mixture ? BML_NN_CUSTOM : BML_NN_MSE,
                           .loss_fn = xray_mixture_loss,
                           .loss_user = kd,
                           .learning_rate = s->opt->rate,
                           .schedule = net->mixture ? BML_NN_COSINE : BML_NN_CONSTANT,
                           .decay = 0.01,
                           .batch = (int)s->opt->batch,
                           .epochs = (int)s->opt->epochs,
                           .clip = net->mixture ? 5 : 0,
                           .patience = net->mixture ? 0 : 100,
                           .first_epoch = net->mixture ? 0 : 50,
                           .threads = s->threads,
                           .seed = s->opt->seed};
    kd[0] = net->k, kd[1] = net->d;
    return how;
}

/* Runs the epochs; history[epochs][4] gets epoch, loss, validation loss, seconds. Returns how many there were. */
static long run_training(double *history, session *s, xray_net *net, training_set *t) {
    int kd[2], status = 0;
    bml_nn_training how = training_of(s, net, t, kd);
    bml_nn_trainer *trainer;
    progress_bar bar;
    double t0 = seconds_now();
    long done = 0;
    char err[ERROR_SIZE];
    if (net->mixture && !s->opt->start && xray_net_whiten(net, t->x, t->n_train, err)) fail("%s", err);
    if (!net->mixture && !s->opt->start)
        status = bml_nn_fit_scaler(net->nn, BML_NN_INPUTS, BML_NN_STANDARD, t->x, t->n_train);
    if (!status) status = bml_nn_trainer_create(&trainer, net->nn, &how);
    if (status) fail("fit_xray train: %s: %s", bml_nn_strerror(status), bml_nn_message(net->nn));
    progress_begin(&bar, "training", (double)s->opt->epochs, s->opt->quiet);
    while (!status && !bml_nn_trainer_done(trainer)) {
        bml_nn_epoch e;
        char note[64];
        if (done && !s->opt->train_on && net->mixture) /* noise that no epoch has seen before */
            xray_set_noise(t->x, &t->set, 0, t->n_train, 1, s->opt->seed, (uint64_t)done, s->threads);
        status = bml_nn_trainer_run(trainer, 1);
        if (status == BML_NN_CANCELLED) status = 0;
        e = bml_nn_trainer_last(trainer);
        history[4 * done] = e.epoch, history[4 * done + 1] = e.loss, history[4 * done + 2] = e.val_loss;
        history[4 * done++ + 3] = seconds_now() - t0;
        snprintf(note, sizeof note, "loss %.4g, validation %.4g", e.loss, e.val_loss);
        progress_at(&bar, (double)done, note);
    }
    progress_end(&bar);
    if (status) fail("fit_xray train: %s: %s", bml_nn_strerror(status), bml_nn_message(net->nn));
    bml_nn_trainer_free(trainer);
    printf("%ld epochs in %.0f s, validation loss %.4g at the end\n", done, history[4 * done - 1],
           history[4 * done - 2]);
    return done;
}

/* What follows a mixture network's training. With --start and --train-on that is all there is: the network learns how
   the labelled spectra differ from those it was trained on, from all but the test rows. */
static void after_training(const session *s, xray_net *net, const training_set *t) {
    size_t first = t->n_train, n = t->n_val;
    char err[ERROR_SIZE];
    if (!net->mixture) return;
    if (s->opt->start && s->opt->train_on) {
        first = 0, n = t->n_train + t->n_val;
        if (xray_net_adjust(net, t->x, t->set.u, n, err)) fail("%s", err);
    }
    if (xray_net_calibrate(net, t->x + first * bml_nn_n_in(net->nn), t->set.u + first * (size_t)net->d, n, err))
        fail("%s", err);
}

enum { TEST_DRAWS = 199, TEST_ROWS = 2000 };

/* Mean of the network's draws for test row i, mean[d], and the truth's rank among them, rank[d]. */
static void test_row(bml_nn_real *mean, int *rank, const xray_net *net, const bml_nn_real *out, size_t n, size_t i,
                     const float *truth, bml_mcmc_rng *rng) {
    size_t d = (size_t)net->d, n_out = bml_nn_n_out(net->nn);
    xray_mixture m = {.d = 0};
    double z[XRAY_MAX_FREE], u;
    if (net->mixture) xray_net_mixture_of(&m, net, out + i * n_out);
    memset(mean, 0, d * sizeof *mean);
    memset(rank, 0, d * sizeof *rank);
    for (size_t j = 0; j < TEST_DRAWS; j++) {
        if (net->mixture) xray_mixture_draw(z, &m, 1, rng);
        for (size_t k = 0; k < d; k++) {
            u = net->mixture ? xray_normal_cdf(z[k]) : (double)out[(j * n + i) * n_out + k];
            mean[k] += (bml_nn_real)(u / TEST_DRAWS);
            rank[k] += u < (double)truth[k];
        }
    }
}

/* R^2 and mean squared error of the posterior means on the test rows, on the scale 0 to 1 of the prior, and coverage;
   printed. */
static void test_table(session *s, const xray_net *net, const training_set *t, double *r2_all, double *mse_all) {
    size_t first = t->n_train + t->n_val, n = t->n_test < TEST_ROWS ? t->n_test : TEST_ROWS, d = (size_t)net->d,
           n_out = bml_nn_n_out(net->nn);
    bml_nn_real *mean = xray_alloc(n, d * sizeof *mean),
                *out = xray_alloc(n, n_out * (net->mixture ? 1 : TEST_DRAWS) * sizeof *out);
    int *rank = xray_alloc(n, (d + 1) * sizeof *rank), *column = rank ? rank + n * d : NULL, status;
    bml_nn_metrics metrics[XRAY_MAX_FREE + 1];
    const bml_nn_real *x = t->x + first * bml_nn_n_in(net->nn);
    const float *truth = t->set.u + first * d;
    double all = 0;
    bml_mcmc_rng rng;
    if (!mean || !rank || !out) fail("fit_xray train: out of memory");
    bml_mcmc_rng_init(&rng, s->opt->seed, 14);
    status = net->mixture ? bml_nn_predict(net->nn, NULL, out, x, n)
                          : bml_nn_draws(net->nn, NULL, out, x, n, TEST_DRAWS, s->opt->seed);
    if (status) fail("fit_xray train: %s", bml_nn_strerror(status));
    for (size_t i = 0; i < n; i++) test_row(mean + i * d, rank + i * d, net, out, n, i, truth + i * d, &rng);
    bml_nn_evaluate(metrics, mean, truth, n, d);
    printf("%-22s %10s %12s %12s   (%zu test spectra, parameters on 0...1)\n", "parameter", "R^2", "MSE", "in 68 %", n);
    for (size_t k = 0; k < d; k++) {
        double covered = 0, sd;
        for (size_t i = 0; i < n; i++) column[i] = rank[i * d + k];
        bml_mcmc_coverage(&covered, &sd, column, (int)n, TEST_DRAWS, 0.68);
        all += covered / (double)d;
        printf("%-22s %10.4f %12.3g %12.3f\n", parameter_name(s, (int)k), metrics[k].r2, metrics[k].mse, covered);
    }
    printf("%-22s %10.4f %12.3g %12.3f\n", "all", metrics[d].r2, metrics[d].mse, all);
    *r2_all = metrics[d].r2;
    *mse_all = metrics[d].mse;
    free(mean);
    free(rank);
    free(out);
}

/* The network to train: a new one, or --start's; it is told what it is for. */
static void begin_network(xray_net *net, session *s, int kind) {
    char prior[8192], fixed[4096] = "", err[ERROR_SIZE];
    const options *o = s->opt;
    prior_lines(prior, sizeof prior, s);
    for (int i = 0; i < o->fix.n; i++) {
        size_t used = strlen(fixed);
        snprintf(fixed + used, sizeof fixed - used, "%s\n", o->fix.item[i]);
    }
    if (o->start ? xray_net_read(net, o->start, err)
                 : xray_net_make(net, kind, s->data[0].n, s->fitter[0]->n_free, (int)o->units, (int)o->depth,
                                 o->dropout, (int)o->components, o->seed, err))
        fail("%s", err);
    if (net->n_bin != s->data[0].n || net->d != s->fitter[0]->n_free || net->mixture != (kind == XRAY_MLP))
        fail("%.300s: a network of another kind, or for other bins or parameters", o->start);
    if (xray_net_describe(net, &s->data[0], o->model, prior, fixed, o->statistic, o->absorption ? -1 : o->abundance,
                          err))
        fail("%s", err);
}

static int command_train(session *s, int kind) {
    training_set t = {.n_train = 0};
    char err[ERROR_SIZE], folder[PATH_SIZE];
    const char *slash = strrchr(s->opt->out, '/');
    double *history, r2 = 0, mse = 0;
    long epochs = 0;
    int status;
    xray_net net;
    need_prior(s);
    training_defaults(s->opt, kind);
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - s->opt->out) : 1, slash ? s->opt->out : ".");
    if (out_folder(folder, err)) fail("%s", err);
    if (s->n_data != 1 || s->opt->untie.n) fail("fit_xray train: one spectrum at a time");
    if (s->opt->n < 100) fail("fit_xray train: --n %ld: at least 100 spectra are needed", s->opt->n);
    begin_network(&net, s, kind);
    make_set(&t, s, &net);
    history = xray_alloc((size_t)s->opt->epochs + 1, 4 * sizeof *history);
    if (!history) fail("fit_xray train: out of memory");
    if (s->opt->epochs) epochs = run_training(history, s, &net, &t);
    after_training(s, &net, &t);
    test_table(s, &net, &t, &r2, &mse);
    status = bml_nn_save(net.nn, s->opt->out, BML_NN_F32);
    if (status) fail("%.300s: %s", s->opt->out, bml_nn_strerror(status));
    if (epochs && (csv_write(folder, "history.csv", "epoch,loss,validation_loss,seconds", history, epochs, 4, err) ||
                   xray_plot_history(folder, history, epochs, !net.mixture, err)))
        fail("%s", err);
    {
        run_entry results[] = {{"r2", r2, NULL},
                               {"mse", mse, NULL},
                               {"epochs", (double)epochs, NULL},
                               {"training_seconds", epochs ? history[4 * epochs - 1] : 0, NULL},
                               {NULL, 0, NULL}};
        s->opt->out = folder;
        write_run(s, results);
    }
    free(history);
    free(t.x);
    free(t.y);
    xray_set_free(&t.set);
    xray_net_free(&net);
    return 0;
}

/* ---- infer ---- */

/* The network, and the model, prior and bins that it was made for. */
static void load_net(session *s, xray_binning *binning) {
    char err[ERROR_SIZE], *line, *next;
    static char fixed[4096]; /* the options point into it */
    if (!s->opt->net) fail("fit_xray %s: --net FILE is needed", s->command);
    if (s->opt->prior || s->opt->model) fail("fit_xray %s: model and prior are those of the network", s->command);
    if (xray_net_read(&s->net, s->opt->net, err)) fail("%s", err);
    s->opt->model = s->net.model;
    s->opt->statistic = s->net.statistic;
    if (s->net.abundance < 0 && !s->opt->absorption)
        fail("fit_xray %s: %.200s was trained with an --absorption table: give it", s->command, s->opt->net);
    if (s->net.abundance >= 0) s->opt->abundance = s->net.abundance, s->opt->absorption = NULL;
    snprintf(fixed, sizeof fixed, "%s", s->net.fixed);
    s->opt->fix.n = 0;
    for (line = fixed; *line; line = next) {
        next = line + strcspn(line, "\n");
        if (*next) *next++ = 0;
        if (s->opt->fix.n < 64) s->opt->fix.item[s->opt->fix.n++] = line;
    }
    memset(binning, 0, sizeof *binning);
    binning->how = XRAY_GROUP_GIVEN;
    binning->given = s->net.bin;
    binning->n_given = s->net.n_channel;
}

static void check_net(const session *s) {
    if (s->data[0].n != s->net.n_bin)
        fail("%.200s: %d bins, but %.200s was trained for %d", s->input, s->data[0].n, s->opt->net, s->net.n_bin);
    if (!(fabs(s->data[0].exposure / s->net.exposure - 1) <= 0.01))
        fail("%.200s: %g s, but %.200s was trained for %g s", s->input, s->data[0].exposure, s->opt->net,
             s->net.exposure);
    if (s->fitter[0]->n_free != s->net.d) fail("%.300s: its prior and its outputs do not agree", s->opt->net);
}

/* The network's draws raw[n][d], and resampled[n][d] (NULL: not wanted), both theta. Prints how it went. */
static void net_posterior(session *s, double *raw, double *resampled, long n, xray_resampled *r) {
    char err[ERROR_SIZE];
    int d = s->net.d;
    double *z = xray_alloc((size_t)n, (size_t)d * sizeof *z), t0 = seconds_now(), t1;
    xray_posterior posterior = {s->prior, s->fitter, s->threads};
    xray_resampling how = {
        .most = (int)s->opt->evaluations, .target = xray_posterior_target, .user = &posterior, .seed = s->opt->seed};
    bml_nn_work *work = NULL;
    xray_mixture m;
    xray_best best[XRAY_FITS];
    xray_proposal near;
    if (!z || bml_nn_work_create(&work, s->net.nn, 1, 1)) fail("fit_xray: out of memory");
    if (xray_net_draw(z, &m, &s->net, work, s->data[0].counts, (int)n, s->opt->seed, err)) fail("%s", err);
    xray_theta_from_z(raw, s->prior, z, n, d);
    t1 = seconds_now();
    printf("network: %ld draws in %.1f ms\n", n, 1e3 * (t1 - t0));
    if (resampled) {
        xray_net_fits(best, &near, s->fitter[0], s->prior, z, (int)n, 200);
        if (xray_resample(r, &m, &near, &how, err)) fail("%s", err);
        xray_resampled_draw(z, r, (int)n, s->opt->seed);
        xray_theta_from_z(resampled, s->prior, z, n, d);
        printf("resampling: %.2f s, %d likelihoods, %.0f effective samples, ln Z %.2f +- %.2f\n", seconds_now() - t1,
               r->n, r->ess, r->log_z, r->log_z_error);
        printf("of the network's own draws %.2g %% are effective%s\n", 100 * r->ess_net,
               r->ess_net < 0.01 ? ": do not use them without resampling" : "");
        if (r->ess < 400) printf("WARNING: %.0f effective samples are few: check with fit_xray nested\n", r->ess);
    }
    bml_nn_work_free(work);
    free(z);
}

/* The draw with the best statistic among theta[n][d]. */
static double best_of(session *s, double *best, const double *theta, long n) {
    int d = s->fitter[0]->n_free;
    double least = (double)INFINITY;
    for (long i = 0; i < n; i++) {
        double v = xray_evaluate(s->fitter[0], theta + i * d);
        if (i == 0 || v < least) {
            least = v;
            memcpy(best, theta + i * d, (size_t)d * sizeof *best);
        }
    }
    return least;
}

/* The statistic at the medians of theta[n][d]. */
static double at_median(session *s, const double *theta, long n) {
    int d = s->fitter[0]->n_free;
    double *column = xray_alloc((size_t)n, sizeof *column), median[XRAY_MAX_FREE], v;
    if (!column) fail("fit_xray: out of memory");
    for (int k = 0; k < d; k++) {
        for (long i = 0; i < n; i++) column[i] = theta[i * d + k];
        median[k] = bml_mcmc_quantile(column, (size_t)n, 0.5);
    }
    v = xray_evaluate(s->fitter[0], median);
    free(column);
    return v;
}

static int command_infer(session *s) {
    long n = s->opt->draws, shape[2] = {n, s->net.d};
    double *raw = xray_alloc((size_t)n, 2 * (size_t)s->net.d * sizeof *raw), best[XRAY_MAX_FREE], least;
    double *resampled = raw ? raw + n * s->net.d : NULL;
    xray_resampled r = {.n = 0};
    int few;
    char err[ERROR_SIZE];
    if (!raw) fail("fit_xray: out of memory");
    net_posterior(s, raw, s->opt->resample ? resampled : NULL, n, &r);
    least = best_of(s, best, s->opt->resample ? resampled : raw, n < 1000 ? n : 1000);
    write_posterior(s, s->opt->resample ? resampled : raw, n, best);
    if (s->opt->resample && npy_write(s->opt->out, "network.npy", raw, shape, 2, err)) fail("%s", err);
    printf("statistic in %d bins: %.2f at the network's medians, %.2f at the best draw\n", s->fitter[0]->n_bin,
           at_median(s, raw, n), least);
    {
        run_entry results[] = {{"effective_samples", r.ess, NULL},
                               {"effective_share_of_network", r.ess_net, NULL},
                               {"log_z", r.log_z, NULL},
                               {"best_statistic", least, NULL},
                               {NULL, 0, NULL}};
        write_run(s, results);
    }
    few = s->opt->resample && r.ess < 100;
    xray_resampled_free(&r);
    free(raw);
    return few ? 2 : 0;
}

/* ---- judge ---- */

/* Coverage, R^2 and ranks of n verdicts, a line each parameter. */
static void judge_table(const session *s, const xray_verdict *v, int n, int which) {
    int *rank = xray_alloc((size_t)n, sizeof *rank), d = s->net.d;
    xray_score mean = {.r2 = 0}, one;
    if (!rank) fail("fit_xray: out of memory");
    printf("%s: share of truths in the central interval; R^2 of the means; R^2 that the widths promise; p-value of "
           "uniform ranks\n%-22s %7s %7s %7s %7s %9s %9s %9s\n",
           which ? "resampled" : "network", "parameter", "50 %", "68 %", "90 %", "95 %", "R^2", "by width", "rank p");
    for (int k = 0; k <= d; k++) {
        if (k < d) xray_judge_score(&one, v, rank, n, which, k);
        else one = mean;
        printf("%-22s", k < d ? parameter_name(s, k) : "mean");
        for (int l = 0; l < 4; l++) {
            mean.coverage[l] += one.coverage[l] / d;
            printf(" %7.3f", one.coverage[l]);
        }
        mean.r2 += one.r2 / d;
        mean.promised += one.promised / d;
        printf(" %9.4f %9.4f", one.r2, one.promised);
        if (k < d) printf(" %9.2g\n", one.rank_p);
        else printf("   (one parameter's binomial sd at 68 %%: %.3f)\n", sqrt(0.68 * 0.32 / n));
    }
    free(rank);
}

/* Fits that are wrong, by distance from the truth and by statistic. */
static void judge_fits(const session *s, const xray_verdict *v, int n) {
    int which = s->opt->resample ? XRAY_RESAMPLED : XRAY_NETWORK, d = s->net.d, one = 0, net = 0, one_c = 0, net_c = 0;
    for (int i = 0; i < n; i++) {
        one += xray_fit_is_wrong(&v[i], v[i].one_start, which, d);
        net += xray_fit_is_wrong(&v[i], v[i].net_start, which, d);
        one_c += v[i].excess_one > 25;
        net_c += v[i].excess_net > 25;
    }
    printf("fits further than 5 sd from the truth: chi2 from one start %.1f %%, from the network %.1f %%\n"
           "fits with C more than 25 above that of the truth: %.1f %%, %.1f %%\n",
           100.0 * one / n, 100.0 * net / n, 100.0 * one_c / n, 100.0 * net_c / n);
}

/* DIR/judge.csv: truth, means and fits, in the model's units. */
static void write_judge(session *s, const xray_verdict *v, int n) {
    static const char *const way[] = {"", ".network", ".resampled", ".fit_one_start", ".fit_net_start"};
    char err[ERROR_SIZE];
    out_file o;
    if (out_begin(&o, s->opt->out, "judge.csv", err)) fail("%s", err);
    for (int k = 0; k < s->net.d; k++)
        for (int c = 0; c < 5; c++) fprintf(o.f, "%s%s%s", k || c ? "," : "", parameter_name(s, k), way[c]);
    fprintf(o.f, ",effective_share,effective_samples\n");
    for (int i = 0; i < n; i++) {
        const double *from[] = {v[i].truth, v[i].mean[0], v[i].mean[1], v[i].one_start, v[i].net_start};
        double row[5][XRAY_MAX_FREE];
        for (int c = 0; c < 5; c++) bml_mcmc_prior_transform(s->prior, row[c], from[c]);
        for (int k = 0; k < s->net.d; k++)
            for (int c = 0; c < 5; c++) fprintf(o.f, "%s%.7g", k || c ? "," : "", row[c][k]);
        fprintf(o.f, ",%.4g,%.4g\n", v[i].ess_net, v[i].ess);
    }
    if (out_commit(&o, err)) fail("%s", err);
}

/* DIR/recovered.png: true against recovered values, by the network, by resampling and by the fit from one start. */
static void plot_recovered(session *s, const xray_verdict *v, int n) {
    static const char *const way[] = {"network", "resampled", "chi2 fit, one start"};
    static const char *const short_way[] = {"network", "chi2 fit, one start"};
    const char *label[XRAY_MAX_FREE];
    int d = s->net.d, ways = s->opt->resample ? 3 : 2;
    double *value = xray_alloc((size_t)n, (size_t)((1 + ways) * d) * sizeof *value), *to = value;
    xray_recovered r = {d, ways, n, label, s->opt->resample ? way : short_way, value};
    char err[ERROR_SIZE];
    if (!value) fail("fit_xray: out of memory");
    for (int i = 0; i < n; i++) {
        const double *from[] = {v[i].truth, v[i].mean[0], v[i].mean[1], v[i].one_start};
        for (int c = 0; c < 4; c++) {
            if (c == 2 && !s->opt->resample) continue;
            memcpy(to, from[c], (size_t)d * sizeof *to);
            to += d;
        }
    }
    all_names(label, s);
    if (xray_plot_recovered(s->opt->out, &r, err)) fail("%s", err);
    free(value);
}

/* The spectra to judge: simulated from the prior, or the last fifth, which train has not seen, of --train-on. Returns
   how many there are, at most n. */
static int judge_set(xray_set *set, session *s, int n) {
    char err[ERROR_SIZE];
    if (!s->opt->train_on) {
        if (xray_set_make(set, (size_t)n, (size_t)1 << 36, s->fitter, s->threads, s->prior, s->opt->seed, err))
            fail("%s", err);
        return n;
    }
    if (xray_set_read(set, s->opt->train_on, s->prior, s->net.d, s->net.n_bin, err)) fail("%s", err);
    xray_set_keep(set, set->n - set->n / 5, (size_t)n);
    return (int)set->n;
}

static int command_judge(session *s) {
    xray_set set;
    int n = judge_set(&set, s, (int)s->opt->n), bad, few = 0;
    xray_verdict *v = xray_alloc((size_t)n, sizeof *v);
    xray_judging g = {
        &s->net,     &s->problem, s->prior, &set, s->opt->train_on != NULL, s->opt->resample, (int)s->opt->evaluations,
        s->opt->seed};
    double share = 0, least = 1e300, t0 = seconds_now();
    if (!v) fail("fit_xray: out of memory");
    bad = xray_judge(v, &g, n, s->threads);
    if (bad) fail(bad < 0 ? "fit_xray: out of memory" : "fit_xray judge: %d of %d spectra could not be judged", bad, n);
    printf("%d spectra judged in %.0f s\n", n, seconds_now() - t0);
    judge_table(s, v, n, XRAY_NETWORK);
    if (s->opt->resample) {
        judge_table(s, v, n, XRAY_RESAMPLED);
        for (int i = 0; i < n; i++) share += v[i].ess_net / n, least = fmin(least, v[i].ess), few += v[i].ess < 400;
        printf("of the network's draws %.1f %% are effective in the mean; fewest effective samples after resampling: "
               "%.0f; fewer than 400 in %d spectra\n",
               100 * share, least, few);
    }
    judge_fits(s, v, n);
    write_judge(s, v, n);
    plot_recovered(s, v, n);
    write_run(s, NULL);
    free(v);
    xray_set_free(&set);
    return 0;
}

/* ---- compare ---- */

enum { COMPARE_NESTED, COMPARE_ENSEMBLE, COMPARE_NETWORK, COMPARE_RESAMPLED, COMPARED };
static const char *const compared[COMPARED] = {"nested", "ensemble", "network", "resampled"};
/* The table of distances to nested sampling; DIR/distance.csv. Beside it the floor: half the distance of two halves of
   the nested draws, as what 2 x n draws of one distribution have. */
static void distance_table(session *s, double *const *theta, long n) {
    int d = s->fitter[0]->n_free;
    double *column[COMPARED], table[XRAY_MAX_FREE][COMPARED];
    char err[ERROR_SIZE];
    out_file o;
    printf("Jensen-Shannon distance to nested sampling [nats]\n%-22s %10s %10s %10s %10s\n", "parameter", "floor",
           compared[1], compared[2], compared[3]);
    for (int c = 0; c < COMPARED; c++)
        if (!(column[c] = xray_alloc((size_t)n, sizeof(double)))) fail("fit_xray: out of memory");
    for (int k = 0; k < d; k++) {
        for (int c = 0; c < COMPARED; c++)
            for (long i = 0; i < n; i++) column[c][i] = theta[c][i * d + k];
        table[k][0] = 0.5 * xray_jensen_shannon(column[0], n / 2, column[0] + n / 2, n - n / 2);
        for (int c = 1; c < COMPARED; c++) table[k][c] = xray_jensen_shannon(column[0], n, column[c], n);
        printf("%-22s %10.4f %10.4f %10.4f %10.4f\n", parameter_name(s, k), table[k][0], table[k][1], table[k][2],
               table[k][3]);
    }
    for (int c = 0; c < COMPARED; c++) free(column[c]);
    if (out_begin(&o, s->opt->out, "distance.csv", err)) fail("%s", err);
    fprintf(o.f, "parameter,floor,ensemble,network,resampled\n");
    for (int k = 0; k < d; k++)
        fprintf(o.f, "%s,%.4g,%.4g,%.4g,%.4g\n", parameter_name(s, k), table[k][0], table[k][1], table[k][2],
                table[k][3]);
    if (out_commit(&o, err)) fail("%s", err);
}

/* DIR/corner.png with all posteriors in it. */
static void plot_overlay(session *s, double *const *theta, long n) {
    const char *label[XRAY_MAX_FREE];
    xray_overlay p = {COMPARED, s->fitter[0]->n_free, n, compared, theta, label};
    char err[ERROR_SIZE];
    all_names(label, s);
    if (xray_plot_overlay(s->opt->out, &p, err)) fail("%s", err);
}

static int command_compare(session *s) {
    long n = s->opt->draws;
    int d = s->fitter[0]->n_free, not_converged;
    double *theta[COMPARED], best[XRAY_MAX_FREE], t0 = seconds_now(), seconds[2];
    bml_mcmc_nested *nested;
    bml_mcmc_nested_result r;
    xray_resampled resampled = {.n = 0};
    for (int c = 0; c < COMPARED; c++)
        if (!(theta[c] = xray_alloc((size_t)n, (size_t)d * sizeof(double)))) fail("fit_xray: out of memory");
    if (!(s->opt->min_ess > 0)) s->opt->min_ess = (double)n; /* as many effective samples as draws */
    nested = nested_draws(s, theta[COMPARE_NESTED], n, &r);
    seconds[0] = seconds_now() - t0;
    printf("nested: %.1f s, ln Z %.2f +- %.2f, %.0f effective samples, %llu likelihoods\n", seconds[0], r.log_z,
           r.log_z_error, r.ess, (unsigned long long)r.evaluations);
    memcpy(best, r.theta + (r.n_points - 1) * (size_t)d, (size_t)d * sizeof *best);
    bml_mcmc_nested_free(nested);
    t0 = seconds_now();
    not_converged = ensemble_draws(s, theta[COMPARE_ENSEMBLE], n, NULL, NULL);
    seconds[1] = seconds_now() - t0;
    printf("ensemble: %.1f s%s\n", seconds[1], not_converged ? ", not converged" : "");
    net_posterior(s, theta[COMPARE_NETWORK], theta[COMPARE_RESAMPLED], n, &resampled);
    distance_table(s, theta, n);
    for (int c = 0; c < COMPARED; c++)
        printf("%-10s statistic at the medians: %.2f in %d bins\n", compared[c], at_median(s, theta[c], n),
               s->fitter[0]->n_bin);
    write_posterior(s, theta[COMPARE_RESAMPLED], n, best);
    plot_overlay(s, theta, n);
    {
        run_entry results[] = {{"nested_seconds", seconds[0], NULL},
                               {"ensemble_seconds", seconds[1], NULL},
                               {"nested_log_z", r.log_z, NULL},
                               {"resampled_log_z", resampled.log_z, NULL},
                               {"resampled_effective_samples", resampled.ess, NULL},
                               {"effective_share_of_network", resampled.ess_net, NULL},
                               {NULL, 0, NULL}};
        write_run(s, results);
    }
    for (int c = 0; c < COMPARED; c++) free(theta[c]);
    xray_resampled_free(&resampled);
    return not_converged ? 2 : 0;
}

/* ==== main ======================================================================================================== */

static const char about[] =
    "commands:\n"
    "  fit SPECTRUM...     maximum likelihood from many starts, intervals, goodness of fit, fluxes\n"
    "  nested SPECTRUM...  posterior and evidence by nested sampling (needs --prior)\n"
    "  sample SPECTRUM...  posterior by the ensemble sampler (needs --prior)\n"
    "  fakeit NEW.pha      a simulated spectrum (needs --rmf, --exposure, and every parameter by --fix)\n"
    "  train [SPECTRUM]    a network for spectra like this one, or for --response and --exposure; --out "
    "FILE.safetensors\n"
    "  infer SPECTRUM      posterior by a network (--net FILE), corrected by importance resampling\n"
    "  judge [SPECTRUM]    coverage, ranks and fits for --n simulated spectra, by a network\n"
    "  compare SPECTRUM    network, resampled, nested and ensemble sampling of one spectrum, side by side\n"
    "Spectra are OGIP PHA files; response and background are those that the file names unless given here.\n"
    "Models: sums and products of powerlaw zpowerlw cutoffpl logpar bbodyrad diskbb gaussian, tbabs constant (xray.h\n"
    "says what they are); parameters are called powerlaw.norm, or nH where only one component has it.\n"
    "Exit status 0: done, 2: done but not converged, 1: error.";

enum { FIT, NESTED, SAMPLE, FAKEIT, TRAIN, INFER, JUDGE, COMPARE }; /* from INFER on with a network */
static const char *const commands[] = {"fit", "nested", "sample", "fakeit", "train", "infer", "judge", "compare", NULL};

static const char usage[] = "fit_xray COMMAND [options] FILE...";

/* Loads what the command needs, and does it. */
static int run_command(session *s, int command, char **files, int n) {
    xray_binning given = binning_of(s->opt);
    char err[ERROR_SIZE];
    int kind = -1;
    if (command >= INFER) load_net(s, &given);
    load_absorption(s);
    load_model(s);
    if (command == FAKEIT) {
        if (n != 1) fail("fit_xray fakeit: the name of the new spectrum is needed");
        return command_fakeit(s, files[0]);
    }
    if (command == TRAIN && (kind = choice_index("ann|cnn|gru|mlp", s->opt->net ? s->opt->net : "mlp")) < 0)
        fail("fit_xray train: --net '%.60s' is not one of ann, cnn, gru, mlp", s->opt->net);
    if (n == 0 && (command == TRAIN || command == JUDGE)) load_blank(s, &given);
    else load_data(s, &given, files, n);
    load_problem(s);
    load_band(s);
    if (command >= INFER) check_net(s);
    if (command != TRAIN && out_folder(s->opt->out, err)) fail("%s", err);
    switch (command) {
    case FIT: return command_fit(s);
    case NESTED: return command_nested(s);
    case SAMPLE: return command_sample(s);
    case TRAIN: return command_train(s, kind);
    case INFER: return command_infer(s);
    case JUDGE: return command_judge(s);
    default: return command_compare(s);
    }
}

int main(int argc, char **argv) {
    /* clang-format off */
    options opt = {.out = "fit_xray_out", .every = 5, .starts = 20, .simulations = 200, .live_points = 400,
                   .walkers = 40, .steps = 4000, .draws = 10000, .exposure = 1000, .resample = 1, .n = 10000,
                   .components = 4, .evaluations = 10000, .dropout = (double)NAN, .seed = 1};
#define WORD(n, m, v, h) {.name = n, .text = &opt.m, .value = v, .help = h}
#define WHOLE(n, m, lo, hi, h) {.name = n, .integer = &opt.m, .min = lo, .max = hi, .value = "N", .help = h}
#define REAL(n, m, lo, hi, v, h) {.name = n, .real = &opt.m, .min = lo, .max = hi, .value = v, .help = h}
#define CHOICE(n, m, v, h) {.name = n, .choice = &opt.m, .value = v, .help = h}
#define SWITCH(n, m, h) {.name = n, .flag = &opt.m, .help = h}
#define LIST(n, m, v, h) {.name = n, .list = &opt.m, .value = v, .help = h}
    const option_row rows[] = {
        WORD("model", model, "EXPR", "such as 'tbabs*(powerlaw+bbodyrad)'"),
        WORD("prior", prior, "FILE", "lines name,kind,a,b; for fit: the ranges"),
        LIST("fix", fix, "NAME=VALUE", "hold a parameter; may be repeated"),
        LIST("untie", untie, "NAME", "its own value for each spectrum: NAME@2, NAME@3, ..."),
        CHOICE("stat", statistic, "cstat|wstat|chi2", "statistic; cstat takes no background"),
        REAL("e-min", e_min, 0, 1e6, "KEV", "lowest energy; 0 and 0: all"),
        REAL("e-max", e_max, 0, 1e6, "KEV", "highest energy"),
        CHOICE("group", group, "file|none|every|min|optimal", "how channels are binned"),
        WHOLE("every", every, 1, 100000, "channels a bin, for --group every"),
        WHOLE("min-counts", min_counts, 0, 1e9, "least counts a bin, for min and optimal"),
        SWITCH("keep-bad", keep_bad, "use channels whose QUALITY is not 0"),
        REAL("systematic", systematic, 0, 1, "F", "error, a fraction of the counts, for chi2"),
        WORD("rmf", rmf, "FILE", "response, instead of the spectrum's"),
        WORD("response", rmf, "FILE", "the same as --rmf"),
        WORD("arf", arf, "FILE", "effective area; none: none"),
        WORD("background", background, "FILE", "background spectrum; none: none"),
        CHOICE("abundance", abundance, "wilm|angr", "of tbabs"),
        WORD("absorption", absorption, "FILE", "FITS table of cross-sections for tbabs"),
        WORD("band", band, "LO,HI", "keV, for fluxes; else the range of the data"),
        WHOLE("starts", starts, 1, 100000, "fits from random places"),
        WHOLE("simulations", simulations, 0, 1e6, "for the goodness of fit"),
        REAL("exposure", exposure, 1e-6, 1e12, "S", "of simulated spectra [s]"),
        WHOLE("walkers", walkers, 4, 100000, "of sample"),
        WHOLE("steps", steps, 100, 1e8, "of sample; the first fifth is thrown away"),
        WHOLE("draws", draws, 100, 1e7, "posterior draws to write"),
        WHOLE("live-points", live_points, 20, 1e6, "of nested"),
        REAL("min-ess", min_ess, 0, 1e8, "N", "of nested: effective samples wanted"),
        WORD("net", net, "FILE", "network; train: ann, cnn, gru (dropout) or mlp (mixture)"),
        WHOLE("n", n, 10, 1e8, "simulated spectra; train: 60 % train, 20 % validate, 20 % test"),
        WORD("train-on", train_on, "FILE", "FITS table of simulations, THETA and COUNTS: the last fifth tests"),
        WORD("start", start, "FILE", "train: begin with this network; with --train-on: adjust it to those spectra"),
        REAL("dropout", dropout, 0, 0.95, "P", "rate; 0.1, mlp: 0"),
        WHOLE("units", units, 0, 4096, "of each layer; 0: 100, mlp: 256"),
        WHOLE("layers", depth, 0, 16, "0: 4"),
        WHOLE("components", components, 1, XRAY_MAX_K, "of mlp's mixture"),
        WHOLE("epochs", epochs, 0, 100000, "at most; 0: 5000, mlp: 60"),
        WHOLE("batch", batch, 0, 100000, "0: 32, mlp: 128"),
        REAL("rate", rate, 0, 1, "R", "learning rate; 0: 1e-4, mlp: 1e-3"),
        SWITCH("resample", resample, "correct the network's draws by the likelihood"),
        WHOLE("evaluations", evaluations, 3000, 1e6, "likelihoods for that; fewer with 2,000 effective samples"),
        WHOLE("threads", threads, 0, MAX_THREADS, "0: all cores"),
        {.name = "seed", .natural = &opt.seed, .value = "S", .help = "same seed, same results"},
        SWITCH("quiet", quiet, "no progress bar"),
        WORD("out", out, "DIR", "folder for tables, draws and pictures; train: the network's FILE"),
        {0}};
    /* clang-format on */
    static session s;
    int first, command = 0, status;
    s.opt = &opt;
    s.rows = rows;
    s.start = seconds_now();
    s.command = argc > 1 ? argv[1] : "--help";
    while (commands[command] && strcmp(commands[command], s.command)) command++;
    if (!commands[command]) {
        if (strcmp(s.command, "--help") && strcmp(s.command, "-h"))
            fail("fit_xray: '%.60s' is no command (fit, nested, sample, fakeit, train, infer, judge, compare; see "
                 "--help)",
                 s.command);
        options_help(stdout, rows, usage, about);
        return 0;
    }
    first = options_parse(argc - 1, argv + 1, rows, usage, about);
    status = run_command(&s, command, argv + 1 + first, argc - 1 - first);
    close_session(&s);
    return status;
}
