/* fit_xray: an X-ray spectrum (PHA, RMF, ARF) in; parameters, goodness of fit, posteriors, fluxes and pictures out.

     build/fit_xray fit source.pha --model 'tbabs*(powerlaw+bbodyrad)' --e-min 0.5 --e-max 10
     build/fit_xray nested source.pha --model 'tbabs*powerlaw' --prior prior.csv
     build/fit_xray sample source.pha --model 'tbabs*powerlaw' --prior prior.csv
     build/fit_xray fakeit new.pha --rmf d.rmf --exposure 1e4 --model powerlaw --fix PhoIndex=2 --fix norm=1e-3
     build/fit_xray train source.pha --model 'tbabs*powerlaw' --prior prior.csv --n 50000 --out net/net.safetensors
     build/fit_xray infer source.pha --net net/net.safetensors

   Several spectra are fitted together; --untie NAME gives each but the first its own value of a parameter.
   Models, statistics and files: xray.h. Fits: xray_fit.h. Samplers: bml_mcmc.h. */
#include "common.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#ifdef _OPENMP
#include <omp.h>
#endif
#include "xray_net.h"

enum { MAX_THREADS = 256, FLUX_BINS = 1000 };

typedef struct options {
    const char *model, *prior, *rmf, *arf, *background, *absorption, *band, *net, *train_on, *out;
    int abundance, group, statistic, keep_bad, resample, quiet;
    long every, min_counts, starts, simulations, threads, live_points, walkers, steps, draws;
    long n, epochs, batch, units, depth, components;
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

/* The data's part of the picture: counts/s/keV with errors, model, and (data - model)/error below. */
static void plot_block(FILE *f, const session *s, int i, const double *model) {
    const xray_data *d = &s->data[i];
    fprintf(f, "$d%d << EOD\n", i);
    for (int b = 0; b < d->n; b++) {
        double width = d->e_hi[b] - d->e_lo[b], scale = 1 / (width * d->exposure), back = 0, sd, off;
        if (d->background && s->opt->statistic != XRAY_C) back = d->ratio[b] * d->background[b];
        sd = s->opt->statistic == XRAY_CHI2 ? sqrt(d->variance[b])
                                            : sqrt(fmax(model[b] + back * (1 + d->ratio[b]), 1e-30));
        off = d->counts[b] - back;
        fprintf(f, "%.6g %.6g %.6g %.6g %.6g %.6g %.6g\n", sqrt(fmax(d->e_lo[b], 1e-3) * d->e_hi[b]), d->e_lo[b],
                d->e_hi[b], off * scale, sqrt(fmax(d->counts[b], 1)) * scale, model[b] * scale, (off - model[b]) / sd);
    }
    fprintf(f, "EOD\n");
}

/* DIR/spectrum.png of the model at theta. */
static void plot_spectrum(session *s, const double *theta) {
    xray_fitter *f = s->fitter[0];
    const double *m = f->model;
    char err[ERROR_SIZE];
    out_file o;
    double least = 1e300;
    xray_counts(f->model, f, theta);
    for (int i = 0; i < s->n_data; m += s->data[i++].n)
        for (int b = 0; b < s->data[i].n; b++) {
            double rate = fmin(m[b], fmax(s->data[i].counts[b], 1)) /
                          (s->data[i].exposure * (s->data[i].e_hi[b] - s->data[i].e_lo[b]));
            if (rate > 0) least = fmin(least, rate);
        }
    m = f->model;
    if (plot_begin(&o, s->opt->out, "spectrum", 1000, 760, 14, err)) fail("%s", err);
    for (int i = 0; i < s->n_data; m += s->data[i++].n) plot_block(o.f, s, i, m);
    fprintf(o.f,
            "set multiplot; set logscale x; set lmargin 11; set rmargin 3; set xrange [%.5g:%.5g] noextend\n"
            "set tics scale 0.6; set bmargin at screen 0.36; set tmargin at screen 0.96; set format x ''\n"
            "set logscale y; set yrange [%.3g:*]; set format y '10^{%%T}'; set ylabel 'counts / (s keV)'; set key top "
            "right\n"
            "set xtics (0.2,0.3,0.5,0.7,1,2,3,5,7,10,20,50)\nplot ",
            fmax(s->band[0] * 0.95, 1e-3), s->band[1] * 1.05, 0.5 * least);
    for (int i = 0; i < s->n_data; i++)
        fprintf(o.f,
                "%s$d%d using 1:4:2:3:($4-$5):($4+$5) with xyerrorbars pt 0 lw 1.2 lc rgb '%s' title 'data%s', "
                "$d%d using 1:6 with histeps lw 1.8 lc rgb '%s' title 'model'",
                i ? ", " : "", i, i ? plot_colours[i % 7] : "#0072B2", s->n_data > 1 ? " " : "", i,
                i ? plot_colours[i % 7] : "#D55E00");
    fprintf(
        o.f,
        "\nset bmargin at screen 0.10; set tmargin at screen 0.34; unset logscale y; set format y '%%g'; unset key\n"
        "set format x '%%g'; set xlabel 'energy [keV]'; set ylabel '(data - model)/error'; set yrange [*:*]\n"
        "set arrow from graph 0, first 0 to graph 1, first 0 nohead lc rgb '#888888'\nplot ");
    for (int i = 0; i < s->n_data; i++)
        fprintf(o.f, "%s$d%d using 1:7:2:3:($7-1):($7+1) with xyerrorbars pt 0 lw 1.2 lc rgb '%s'", i ? ", " : "", i,
                i ? plot_colours[i % 7] : "#0072B2");
    fprintf(o.f, "\nunset multiplot\n");
    if (plot_end(&o, s->opt->out, "spectrum", err) < 0) fail("%s", err);
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

/* theta[d] from z[d]. */
static void theta_from_z(double *theta, const session *s, const double *z) {
    double u[XRAY_MAX_FREE];
    for (int k = 0; k < s->fitter[0]->n_free; k++) u[k] = fmin(fmax(xray_normal_cdf(z[k]), 1e-15), 1 - 1e-15);
    bml_mcmc_prior_transform(s->prior, theta, u);
}

/* One thread's view of the likelihood in z. */
typedef struct target_view {
    const session *s;
    xray_fitter *f; /* NULL: all of the session's threads */
} target_view;

static double target_at(const session *s, xray_fitter *f, const double *z) {
    double theta[XRAY_MAX_FREE], v, prior = 0;
    theta_from_z(theta, s, z);
    v = xray_evaluate(f, theta);
    for (int k = 0; k < f->n_free; k++) prior -= 0.5 * z[k] * z[k] + 0.91893853320467274;
    return v < (double)INFINITY ? prior - 0.5 * v : -(double)INFINITY;
}

static void target(double *out, const double *z, int n, int d, void *user) {
    const target_view *v = user;
    if (v->f) {
        for (int i = 0; i < n; i++) out[i] = target_at(v->s, v->f, z + (size_t)i * (size_t)d);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(v->s->threads)
    for (int i = 0; i < n; i++) out[i] = target_at(v->s, v->s->fitter[thread_number()], z + (size_t)i * (size_t)d);
}

/* ---- train ---- */

typedef struct training_set {
    xray_set set;
    float *x, *y; /* [n][n_bin], [n][n_out]: training rows, then validation, then test */
    size_t n_train, n_val, n_test;
} training_set;

/* Spectra from elsewhere: x and y from columns THETA and COUNTS; the first four fifths train, an eighth of them
   validates. */
static void load_set(training_set *t, const session *s, const xray_net *net) {
    char err[ERROR_SIZE];
    double *theta = NULL, *counts = NULL, u[XRAY_MAX_FREE];
    long rows = 0;
    size_t n, n_out = bml_nn_n_out(net->nn), d = (size_t)net->d, b = (size_t)net->n_bin;
    if (xray_simulations_read(&theta, &counts, &rows, net->d, net->n_bin, s->opt->train_on, err)) fail("%s", err);
    n = (size_t)rows;
    if (n < 50) fail("%.300s: %ld spectra are too few", s->opt->train_on, rows);
    t->n_test = n / 5;
    t->n_val = (n - n / 5) / 8;
    t->n_train = n - t->n_test - t->n_val;
    t->x = xray_alloc(n, b * sizeof *t->x);
    t->y = xray_alloc(n, n_out * sizeof *t->y);
    t->set.u = xray_alloc(n, d * sizeof *t->set.u);
    if (!t->x || !t->y || !t->set.u) fail("fit_xray train: out of memory");
    for (size_t i = 0; i < n; i++) {
        if (bml_mcmc_prior_inverse(s->prior, u, theta + i * d))
            fail("%.300s: row %zu: its parameters are outside of the prior", s->opt->train_on, i + 1);
        xray_net_input(t->x + i * b, net, counts + i * b);
        for (size_t k = 0; k < d; k++) {
            t->set.u[i * d + k] = (float)fmin(fmax(u[k], 1e-6), 1 - 1e-6);
            t->y[i * n_out + k] = net->mixture ? (float)xray_probit((double)t->set.u[i * d + k]) : t->set.u[i * d + k];
        }
    }
    free(theta);
    free(counts);
    printf("%zu spectra read\n", n);
}

static void make_set(training_set *t, session *s, const xray_net *net) {
    char err[ERROR_SIZE];
    size_t n = (size_t)s->opt->n, n_out = bml_nn_n_out(net->nn), d = (size_t)net->d;
    double t0 = seconds_now();
    t->n_val = t->n_test = n / 5;
    t->n_train = n - 2 * (n / 5);
    if (xray_set_make(&t->set, n, 0, s->fitter, s->threads, s->prior, s->opt->seed, err)) fail("%s", err);
    t->x = xray_alloc(n, (size_t)net->n_bin * sizeof *t->x);
    t->y = xray_alloc(n, n_out * sizeof *t->y);
    if (!t->x || !t->y) fail("fit_xray train: out of memory");
    xray_set_noise(t->x, &t->set, 0, n, net->mixture, s->opt->seed, 0, s->threads);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < d; k++) {
            float u = t->set.u[i * d + k];
            t->y[i * n_out + k] = net->mixture ? (float)xray_probit((double)u) : u;
        }
    printf("%zu spectra simulated in %.1f s\n", n, seconds_now() - t0);
}

/* The published settings, unless told otherwise. */
static void training_defaults(options *o, int kind) {
    int mlp = kind == XRAY_MLP;
    if (!o->units) o->units = mlp ? 256 : 100;
    if (!o->depth) o->depth = mlp ? 3 : 4;
    if (!o->epochs) o->epochs = mlp ? 60 : 5000;
    if (!o->batch) o->batch = mlp ? 128 : 32;
    if (!(o->rate > 0)) o->rate = mlp ? 1e-3 : 1e-4;
    if (!(o->dropout >= 0)) o->dropout = mlp ? 0 : 0.1;
}

/* Runs the epochs; history[epochs][4] gets epoch, loss, validation loss, seconds. Returns how many there were. */
static long run_training(double *history, session *s, xray_net *net, training_set *t) {
    int kd[2] = {net->k, net->d};
    size_t n_in = (size_t)net->n_bin, n_out = bml_nn_n_out(net->nn);
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
    bml_nn_trainer *trainer;
    progress_bar bar;
    double t0 = seconds_now();
    long done = 0;
    char err[ERROR_SIZE];
    int status = 0;
    if (net->mixture && xray_net_whiten(net, t->x, t->n_train, err)) fail("%s", err);
    if (!net->mixture) status = bml_nn_fit_scaler(net->nn, BML_NN_INPUTS, BML_NN_STANDARD, t->x, t->n_train);
    if (!status) status = bml_nn_trainer_create(&trainer, net->nn, &how);
    if (status) fail("fit_xray train: %s: %s", bml_nn_strerror(status), bml_nn_message(net->nn));
    progress_begin(&bar, "training", (double)s->opt->epochs, s->opt->quiet);
    while (!status && !bml_nn_trainer_done(trainer)) {
        bml_nn_epoch e;
        char note[64];
        if (done && t->set.mean && net->mixture) /* noise that no epoch has seen before */
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
    if (net->mixture && xray_net_calibrate(net, how.x_val, t->set.u + t->n_train * (size_t)net->d, t->n_val, err))
        fail("%s", err);
    return done;
}

/* R^2 and mean squared error of the posterior means on the test rows, on the scale 0 to 1 of the prior; printed. */
static void test_table(session *s, const xray_net *net, const training_set *t, double *r2_all, double *mse_all) {
    enum { DRAWS = 100 };
    size_t first = t->n_train + t->n_val, n = t->n_test < 2000 ? t->n_test : 2000, d = (size_t)net->d,
           n_out = bml_nn_n_out(net->nn);
    bml_nn_real *mean = xray_alloc(n, d * sizeof *mean), *truth = xray_alloc(n, d * sizeof *truth),
                *out = xray_alloc(n, n_out * (net->mixture ? 1 : DRAWS) * sizeof *out);
    bml_nn_metrics metrics[XRAY_MAX_FREE + 1];
    const bml_nn_real *x = t->x + first * (size_t)net->n_bin;
    bml_mcmc_rng rng;
    int status;
    if (!mean || !truth || !out) fail("fit_xray train: out of memory");
    bml_mcmc_rng_init(&rng, s->opt->seed, 14);
    status = net->mixture ? bml_nn_predict(net->nn, NULL, out, x, n)
                          : bml_nn_draws(net->nn, NULL, out, x, n, DRAWS, s->opt->seed);
    if (status) fail("fit_xray train: %s", bml_nn_strerror(status));
    for (size_t i = 0; i < n; i++) {
        xray_mixture m = {.d = 0};
        double sum[XRAY_MAX_FREE] = {0}, z[XRAY_MAX_FREE] = {0};
        if (net->mixture) xray_mixture_from(&m, out + i * n_out, net->k, net->d, 1);
        for (int j = 0; j < DRAWS; j++) {
            if (net->mixture) xray_mixture_draw(z, &m, 1, &rng);
            for (size_t k = 0; k < d; k++)
                sum[k] += net->mixture ? xray_normal_cdf(z[k]) : (double)out[((size_t)j * n + i) * n_out + k];
        }
        for (size_t k = 0; k < d; k++) {
            mean[i * d + k] = (bml_nn_real)(sum[k] / DRAWS);
            truth[i * d + k] = t->set.u[(first + i) * d + k];
        }
    }
    bml_nn_evaluate(metrics, mean, truth, n, d);
    printf("%-22s %10s %12s   (%zu test spectra, parameters on 0...1)\n", "parameter", "R^2", "MSE", n);
    for (size_t k = 0; k < d; k++)
        printf("%-22s %10.4f %12.3g\n", parameter_name(s, (int)k), metrics[k].r2, metrics[k].mse);
    printf("%-22s %10.4f %12.3g\n", "all", metrics[d].r2, metrics[d].mse);
    *r2_all = metrics[d].r2;
    *mse_all = metrics[d].mse;
    free(mean);
    free(truth);
    free(out);
}

static int command_train(session *s, int kind) {
    training_set t = {.n_train = 0};
    char prior[8192], fixed[4096] = "", err[ERROR_SIZE], folder[PATH_SIZE];
    const char *slash = strrchr(s->opt->out, '/');
    double *history, r2 = 0, mse = 0;
    long epochs;
    int status;
    xray_net net;
    need_prior(s);
    training_defaults(s->opt, kind);
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - s->opt->out) : 1, slash ? s->opt->out : ".");
    if (out_folder(folder, err)) fail("%s", err);
    if (s->n_data != 1 || s->opt->untie.n) fail("fit_xray train: one spectrum at a time");
    if (s->opt->n < 100) fail("fit_xray train: --n %ld: at least 100 spectra are needed", s->opt->n);
    prior_lines(prior, sizeof prior, s);
    for (int i = 0; i < s->opt->fix.n; i++) {
        size_t used = strlen(fixed);
        snprintf(fixed + used, sizeof fixed - used, "%s\n", s->opt->fix.item[i]);
    }
    if (xray_net_make(&net, kind, s->data[0].n, s->fitter[0]->n_free, (int)s->opt->units, (int)s->opt->depth,
                      s->opt->dropout, (int)s->opt->components, s->opt->seed, err) ||
        xray_net_describe(&net, &s->data[0], s->opt->model, prior, fixed, s->opt->statistic,
                          s->opt->absorption ? -1 : s->opt->abundance, err))
        fail("%s", err);
    if (s->opt->train_on) load_set(&t, s, &net);
    else make_set(&t, s, &net);
    history = xray_alloc((size_t)s->opt->epochs, 4 * sizeof *history);
    if (!history) fail("fit_xray train: out of memory");
    epochs = run_training(history, s, &net, &t);
    printf("%ld epochs in %.0f s, validation loss %.4g at the end\n", epochs, history[4 * epochs - 1],
           history[4 * epochs - 2]);
    test_table(s, &net, &t, &r2, &mse);
    status = bml_nn_save(net.nn, s->opt->out, BML_NN_F32);
    if (status) fail("%.300s: %s", s->opt->out, bml_nn_strerror(status));
    if (csv_write(folder, "history.csv", "epoch,loss,validation_loss,seconds", history, epochs, 4, err))
        fail("%s", err);
    {
        run_entry results[] = {{"r2", r2, NULL},
                               {"mse", mse, NULL},
                               {"epochs", (double)epochs, NULL},
                               {"training_seconds", history[4 * epochs - 1], NULL},
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

/* A t around a fit, in z: its covariance carried over from the cube of the fit; wide where the fit says nothing. */
static int near_fit(xray_t *t, const session *s, const xray_fitter *f, const xray_best *best) {
    int d = f->n_free;
    double mean[XRAY_MAX_FREE], slope[XRAY_MAX_FREE], cov[XRAY_MAX_FREE * XRAY_MAX_FREE], cube[2][XRAY_MAX_FREE];
    for (int side = 0; side < 2; side++) { /* a small step to both sides, inside */
        double theta[XRAY_MAX_FREE], u[XRAY_MAX_FREE];
        for (int k = 0; k < d; k++) u[k] = fmin(fmax(best->u[k], 1e-3), 1 - 1e-3) + (side ? 5e-4 : -5e-4);
        xray_from_cube(theta, f, u);
        if (bml_mcmc_prior_inverse(s->prior, cube[side], theta)) return 0;
    }
    for (int k = 0; k < d; k++) {
        double lo = xray_probit(cube[0][k]), hi = xray_probit(cube[1][k]);
        mean[k] = 0.5 * (lo + hi);
        slope[k] = (hi - lo) / 1e-3;
    }
    for (int k = 0; k < d; k++)
        for (int l = 0; l <= k; l++) cov[k * d + l] = 1.2 * slope[k] * slope[l] * best->covariance[k * d + l];
    for (int k = 0; k < d; k++) /* held at an edge, or not constrained */
        if (!(cov[k * d + k] > 0 && cov[k * d + k] < 1)) {
            for (int l = 0; l < d; l++) cov[(k > l ? k : l) * d + (k > l ? l : k)] = 0;
            cov[k * d + k] = 0.5;
        }
    return xray_t_make(t, mean, cov, d);
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

/* theta[n][d] from z[n][d]. */
static void all_theta(double *theta, const session *s, const double *z, long n) {
    int d = s->net.d;
    for (long i = 0; i < n; i++) theta_from_z(theta + i * d, s, z + i * d);
}

/* The network's draws raw[n][d], and resampled[n][d] (NULL: not wanted), both theta. Prints how it went. */
static void net_posterior(session *s, double *raw, double *resampled, long n, xray_resampled *r) {
    char err[ERROR_SIZE];
    double *z = xray_alloc((size_t)n, (size_t)s->net.d * sizeof *z), t0 = seconds_now(), t1;
    target_view view = {s, NULL};
    bml_nn_work *work = NULL;
    xray_mixture m;
    int status = bml_nn_work_create(&work, s->net.nn, 1, 1);
    if (!z || status) fail("fit_xray: out of memory");
    if (xray_net_draw(z, &m, &s->net, work, s->data[0].counts, (int)n, s->opt->seed, err)) fail("%s", err);
    all_theta(raw, s, z, n);
    t1 = seconds_now();
    printf("network: %ld draws in %.1f ms\n", n, 1e3 * (t1 - t0));
    if (resampled) {
        double u[XRAY_MAX_FREE], mean[XRAY_MAX_FREE] = {0}, theta[XRAY_MAX_FREE];
        xray_best best;
        xray_t near;
        int found;
        for (int k = 0; k < s->net.d; k++)
            for (long i = 0; i < n; i++) mean[k] += z[i * s->net.d + k] / (double)n;
        theta_from_z(theta, s, mean);
        xray_to_cube(u, s->fitter[0], theta);
        xray_fit(&best, s->fitter[0], u, NULL);
        found = near_fit(&near, s, s->fitter[0], &best);
        if (xray_resample(r, &m, found ? &near : NULL, 2000, 2500, target, &view, s->opt->seed, err)) fail("%s", err);
        xray_resampled_draw(z, r, (int)n, s->opt->seed);
        all_theta(resampled, s, z, n);
        printf("resampling: %.2f s, %d likelihoods, %.0f effective samples, ln Z %.2f +- %.2f; of the network's own "
               "draws %.1f %% are "
               "effective%s\n",
               seconds_now() - t1, r->n, r->ess, r->log_z, r->log_z_error, 100 * r->ess_net,
               r->ess_net < 0.01 ? ": do not trust them" : "");
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

enum { JUDGE_DRAWS = 499 };

/* What is learnt of one simulated spectrum. All in u, where the prior is uniform on 0...1. */
typedef struct verdict {
    double truth[XRAY_MAX_FREE], mean[2][XRAY_MAX_FREE], sd[2][XRAY_MAX_FREE]; /* network, resampled */
    double one_start[XRAY_MAX_FREE], net_start[XRAY_MAX_FREE]; /* fits: chi2 from the middle, C from the network */
    int rank[2][XRAY_MAX_FREE];
    double ess, ess_net, excess_one, excess_net; /* C above the best known */
} verdict;

static void judge_draws(verdict *v, int which, const double *z, int n, int d) {
    for (int k = 0; k < d; k++) {
        double sum = 0, square = 0;
        v->rank[which][k] = 0;
        for (int i = 0; i < n; i++) {
            double x = xray_normal_cdf(z[i * d + k]);
            sum += x;
            v->rank[which][k] += x < v->truth[k];
        }
        v->mean[which][k] = sum / n;
        for (int i = 0; i < n; i++) square += pow(xray_normal_cdf(z[i * d + k]) - sum / n, 2);
        v->sd[which][k] = sqrt(square / (n - 1));
    }
}

/* A thread's own data, with counts that it may change, and fitters on them. */
typedef struct judge_room {
    xray_data data;
    xray_problem c, chi2;
    xray_fitter *f_c, *f_chi2;
    bml_nn_work *work;
    double *counts, *variance, *z;
} judge_room;

static int judge_room_make(judge_room *j, const session *s) {
    size_t n = (size_t)s->data[0].n;
    memset(j, 0, sizeof *j);
    j->counts = xray_alloc(n, 2 * sizeof(double));
    j->z = xray_alloc(JUDGE_DRAWS, (size_t)s->net.d * sizeof(double));
    if (!j->counts || !j->z || bml_nn_work_create(&j->work, s->net.nn, 1, 1)) return -1;
    j->variance = j->counts + n;
    j->data = s->data[0];
    j->data.counts = j->counts;
    j->data.variance = j->variance;
    j->c = s->problem;
    j->c.data = &j->data;
    j->c.kind = XRAY_C;
    j->chi2 = j->c;
    j->chi2.kind = XRAY_CHI2;
    j->f_c = xray_fitter_make(&j->c);
    j->f_chi2 = xray_fitter_make(&j->chi2);
    return j->f_c && j->f_chi2 ? 0 : -1;
}

static void judge_room_free(judge_room *j) {
    xray_fitter_free(j->f_c);
    xray_fitter_free(j->f_chi2);
    bml_nn_work_free(j->work);
    free(j->counts);
    free(j->z);
}

static int judge_one(verdict *v, judge_room *j, const session *s, const xray_set *set, size_t i) {
    int d = s->net.d, n = s->data[0].n;
    double u[XRAY_MAX_FREE], theta[XRAY_MAX_FREE], at_truth;
    char err[ERROR_SIZE];
    target_view view = {s, j->f_c};
    xray_mixture m;
    xray_resampled r;
    xray_best one, net;
    xray_t near;
    int found;
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, s->opt->seed, ((uint64_t)3 << 40) + i);
    for (int b = 0; b < n; b++) { /* spectra from elsewhere have their noise already */
        double mean = (double)set->mean[i * (size_t)n + (size_t)b];
        j->counts[b] = s->opt->train_on ? mean : xray_poisson(&rng, mean);
        j->variance[b] = fmax(j->counts[b], 1);
    }
    for (int k = 0; k < d; k++) v->truth[k] = (double)set->u[i * (size_t)d + (size_t)k];
    if (xray_net_draw(j->z, &m, &s->net, j->work, j->counts, JUDGE_DRAWS, s->opt->seed + i, err)) return -1;
    judge_draws(v, 0, j->z, JUDGE_DRAWS, d);
    bml_mcmc_prior_transform(s->prior, theta, v->mean[0]);
    xray_to_cube(u, j->f_c, theta);
    xray_fit(&net, j->f_c, u, NULL);
    bml_mcmc_prior_inverse(s->prior, v->net_start, net.theta);
    for (int k = 0; k < d; k++) u[k] = 0.5;
    xray_fit(&one, j->f_chi2, u, NULL);
    bml_mcmc_prior_inverse(s->prior, v->one_start, one.theta);
    bml_mcmc_prior_transform(s->prior, theta, v->truth);
    at_truth = xray_evaluate(j->f_c, theta);
    v->excess_net = net.statistic - at_truth;
    v->excess_one = xray_evaluate(j->f_c, one.theta) - at_truth;
    v->ess = v->ess_net = 0;
    if (!s->opt->resample) return 0;
    found = near_fit(&near, s, j->f_c, &net);
    if (xray_resample(&r, &m, found ? &near : NULL, 500, 500, target, &view, s->opt->seed + i, err)) return -1;
    v->ess = r.ess;
    v->ess_net = r.ess_net;
    xray_resampled_draw(j->z, &r, JUDGE_DRAWS, s->opt->seed + i);
    judge_draws(v, 1, j->z, JUDGE_DRAWS, d);
    xray_resampled_free(&r);
    return 0;
}

/* Coverage and ranks of n verdicts, a line each parameter. */
static void judge_table(const session *s, const verdict *v, int n, int which) {
    static const double level[4] = {0.5, 0.68, 0.9, 0.95};
    int *rank = xray_alloc((size_t)n, sizeof *rank);
    double mean[4] = {0, 0, 0, 0};
    if (!rank) fail("fit_xray: out of memory");
    printf("%s: share of truths in the central interval, R^2 of the means, p-value of uniform ranks\n%-22s %7s %7s %7s "
           "%7s %9s %9s\n",
           which ? "resampled" : "network", "parameter", "50 %", "68 %", "90 %", "95 %", "R^2", "rank p");
    for (int k = 0; k < s->net.d; k++) {
        double r2, square = 0, total = 0, average = 0, fraction = 0, sd = 0;
        for (int i = 0; i < n; i++) average += v[i].truth[k] / n;
        for (int i = 0; i < n; i++) {
            double u = v[i].truth[k], off = u - v[i].mean[which][k];
            square += off * off;
            total += (u - average) * (u - average);
            rank[i] = v[i].rank[which][k];
        }
        r2 = 1 - square / total;
        printf("%-22s", parameter_name(s, k));
        for (int l = 0; l < 4; l++) {
            bml_mcmc_coverage(&fraction, &sd, rank, n, JUDGE_DRAWS, level[l]);
            mean[l] += fraction / s->net.d;
            printf(" %7.3f", fraction);
        }
        printf(" %9.4f %9.2g\n", r2, bml_mcmc_sbc_p_value(rank, n, JUDGE_DRAWS, 20));
    }
    printf("%-22s %7.3f %7.3f %7.3f %7.3f   (one parameter's binomial sd at 68 %%: %.3f)\n", "mean", mean[0], mean[1],
           mean[2], mean[3], sqrt(0.68 * 0.32 / n));
    free(rank);
}

/* Fits that are wrong: further than 5 posterior sd from the truth in some parameter. */
static void judge_fits(const session *s, const verdict *v, int n) {
    int one = 0, net = 0, one_c = 0, net_c = 0;
    for (int i = 0; i < n; i++) {
        int bad_one = 0, bad_net = 0;
        for (int k = 0; k < s->net.d; k++) {
            double sd = v[i].sd[s->opt->resample ? 1 : 0][k];
            bad_one |= fabs(v[i].one_start[k] - v[i].truth[k]) > 5 * sd;
            bad_net |= fabs(v[i].net_start[k] - v[i].truth[k]) > 5 * sd;
        }
        one += bad_one, net += bad_net;
        one_c += v[i].excess_one > 25, net_c += v[i].excess_net > 25;
    }
    printf("fits further than 5 sd from the truth: chi2 from one start %.1f %%, from the network %.1f %%; with C more "
           "than 25 above "
           "that of the truth: %.1f %%, %.1f %%\n",
           100.0 * one / n, 100.0 * net / n, 100.0 * one_c / n, 100.0 * net_c / n);
}

/* DIR/judge.csv: truth, means and fits, in the model's units. */
static void write_judge(session *s, const verdict *v, int n) {
    char err[ERROR_SIZE];
    out_file o;
    if (out_begin(&o, s->opt->out, "judge.csv", err)) fail("%s", err);
    for (int k = 0; k < s->net.d; k++) {
        const char *name = parameter_name(s, k);
        fprintf(o.f, "%s%s,%s.network,%s.resampled,%s.fit_one_start,%s.fit_net_start", k ? "," : "", name, name, name,
                name, name);
    }
    fprintf(o.f, ",effective_share\n");
    for (int i = 0; i < n; i++) {
        double row[5][XRAY_MAX_FREE];
        bml_mcmc_prior_transform(s->prior, row[0], v[i].truth);
        bml_mcmc_prior_transform(s->prior, row[1], v[i].mean[0]);
        bml_mcmc_prior_transform(s->prior, row[2], v[i].mean[1]);
        bml_mcmc_prior_transform(s->prior, row[3], v[i].one_start);
        bml_mcmc_prior_transform(s->prior, row[4], v[i].net_start);
        for (int k = 0; k < s->net.d; k++)
            for (int c = 0; c < 5; c++) fprintf(o.f, "%s%.7g", k || c ? "," : "", row[c][k]);
        fprintf(o.f, ",%.4g\n", v[i].ess_net);
    }
    if (out_commit(&o, err)) fail("%s", err);
}

/* The last fifth, which train has not seen, of --train-on: at most n. Returns how many. */
static int judge_set(xray_set *set, const session *s, int n) {
    char err[ERROR_SIZE];
    double *theta = NULL, *counts = NULL, u[XRAY_MAX_FREE];
    size_t d = (size_t)s->net.d, b = (size_t)s->net.n_bin;
    long rows = 0, first;
    if (xray_simulations_read(&theta, &counts, &rows, s->net.d, s->net.n_bin, s->opt->train_on, err)) fail("%s", err);
    first = rows - rows / 5;
    n = n < rows - first ? n : (int)(rows - first);
    memset(set, 0, sizeof *set);
    set->n = (size_t)n;
    set->mean = xray_alloc((size_t)n, b * sizeof *set->mean);
    set->u = xray_alloc((size_t)n, d * sizeof *set->u);
    if (!set->mean || !set->u) fail("fit_xray: out of memory");
    for (size_t i = 0; i < (size_t)n; i++) {
        const double *row = theta + ((size_t)first + i) * d;
        if (bml_mcmc_prior_inverse(s->prior, u, row)) fail("%.300s: parameters outside of the prior", s->opt->train_on);
        for (size_t k = 0; k < d; k++) set->u[i * d + k] = (float)fmin(fmax(u[k], 1e-6), 1 - 1e-6);
        for (size_t k = 0; k < b; k++) set->mean[i * b + k] = (float)counts[((size_t)first + i) * b + k];
    }
    free(theta);
    free(counts);
    return n;
}

static int command_judge(session *s) {
    int n = (int)s->opt->n, bad = 0;
    verdict *v = xray_alloc((size_t)n, sizeof *v);
    judge_room *room = xray_alloc((size_t)s->threads, sizeof *room);
    xray_set set;
    char err[ERROR_SIZE];
    double ess = 0, least = 1e300, t0 = seconds_now();
    if (!v || !room) fail("fit_xray: out of memory");
    if (s->opt->train_on) n = judge_set(&set, s, n);
    else if (xray_set_make(&set, (size_t)n, (size_t)1 << 36, s->fitter, s->threads, s->prior, s->opt->seed, err))
        fail("%s", err);
    for (int t = 0; t < s->threads; t++)
        if (judge_room_make(&room[t], s)) fail("fit_xray: out of memory");
#pragma omp parallel for schedule(dynamic, 4) num_threads(s->threads) reduction(+ : bad)
    for (int i = 0; i < n; i++) bad += judge_one(&v[i], &room[thread_number()], s, &set, (size_t)i) != 0;
    if (bad) fail("fit_xray judge: %d of %d spectra could not be judged", bad, n);
    for (int i = 0; i < n; i++) ess += v[i].ess_net / n, least = fmin(least, v[i].ess);
    printf("%d simulated spectra judged in %.0f s\n", n, seconds_now() - t0);
    judge_table(s, v, n, 0);
    if (s->opt->resample) {
        judge_table(s, v, n, 1);
        printf("of the network's draws %.1f %% are effective in the mean; fewest effective samples after resampling: "
               "%.0f\n",
               100 * ess, least);
    }
    judge_fits(s, v, n);
    write_judge(s, v, n);
    write_run(s, NULL);
    for (int t = 0; t < s->threads; t++) judge_room_free(&room[t]);
    free(room);
    free(v);
    xray_set_free(&set);
    return 0;
}

/* ---- compare ---- */

enum { COMPARE_NESTED, COMPARE_ENSEMBLE, COMPARE_NETWORK, COMPARE_RESAMPLED, COMPARED, JS_BINS = 40 };
static const char *const compared[COMPARED] = {"nested", "ensemble", "network", "resampled"};
static const char *const compared_colour[COMPARED] = {"#0072B2", "#009E73", "#E69F00", "#D55E00"};

/* Jensen-Shannon distance [nats] of a[n] and b[m], in 40 bins over the central 99.8 % of both together. */
static double jensen_shannon(const double *a, long n, const double *b, long m) {
    double *all = xray_alloc((size_t)(n + m), sizeof *all), p[JS_BINS] = {0}, q[JS_BINS] = {0}, lo, hi, js = 0;
    if (!all) fail("fit_xray: out of memory");
    memcpy(all, a, (size_t)n * sizeof *a);
    memcpy(all + n, b, (size_t)m * sizeof *b);
    lo = bml_mcmc_quantile(all, (size_t)(n + m), 0.001);
    hi = bml_mcmc_quantile(all, (size_t)(n + m), 0.999);
    free(all);
    if (!(hi > lo)) return 0;
    for (long i = 0; i < n; i++)
        p[(int)fmin(fmax((a[i] - lo) / (hi - lo) * JS_BINS, 0), JS_BINS - 1)] += 1.0 / (double)n;
    for (long i = 0; i < m; i++)
        q[(int)fmin(fmax((b[i] - lo) / (hi - lo) * JS_BINS, 0), JS_BINS - 1)] += 1.0 / (double)m;
    for (int k = 0; k < JS_BINS; k++) {
        double mid = 0.5 * (p[k] + q[k]);
        if (p[k] > 0) js += 0.5 * p[k] * log(p[k] / mid);
        if (q[k] > 0) js += 0.5 * q[k] * log(q[k] / mid);
    }
    return js;
}

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
        table[k][0] = 0.5 * jensen_shannon(column[0], n / 2, column[0] + n / 2, n - n / 2);
        for (int c = 1; c < COMPARED; c++) table[k][c] = jensen_shannon(column[0], n, column[c], n);
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

/* One panel of the overlay: histograms on the diagonal, 50 % and 90 % contours below it. */
static void overlay_panel(FILE *f, const session *s, const plot_axis *axes, int row, int column, int d) {
    double left = 0.1, bottom = 0.09, size = 0.88 / d;
    const plot_axis *x = &axes[column], *y = &axes[row];
    fprintf(f,
            "set lmargin at screen %.4f; set rmargin at screen %.4f; set bmargin at screen %.4f; set tmargin at screen "
            "%.4f\n",
            left + column * size, left + (column + 0.94) * size, bottom + (d - 1 - row) * size,
            bottom + (d - row - 0.06) * size);
    fprintf(f, "unset xlabel; unset ylabel; set xrange [%.8g:%.8g]\n", x->lo, x->hi);
    plot_ticks(f, "x", x->lo, x->hi);
    fprintf(f, "set format x '%s'\n", row == d - 1 ? "%g" : "");
    if (row == d - 1) fprintf(f, "set xlabel '%s' noenhanced\n", parameter_name(s, column));
    if (row == column) {
        fprintf(f, "unset ytics; set yrange [0:1.15]\nplot ");
        for (int c = 0; c < COMPARED; c++)
            fprintf(f, "%s$h%d_%d using 1:2 with lines lw 1.6 lc rgb '%s'", c ? ", " : "", c, column,
                    compared_colour[c]);
    } else {
        fprintf(f, "set yrange [%.8g:%.8g]\n", y->lo, y->hi);
        plot_ticks(f, "y", y->lo, y->hi);
        fprintf(f, "set format y '%s'\n", column == 0 ? "%g" : "");
        if (column == 0) fprintf(f, "set ylabel '%s' noenhanced\n", parameter_name(s, row));
        fprintf(f, "plot ");
        for (int c = 0; c < COMPARED; c++)
            fprintf(f, "%s$g%dc_%d_%d using 1:2 with lines lw 1.6 lc rgb '%s'", c ? ", " : "", c, row, column,
                    compared_colour[c]);
    }
    fprintf(f, "\n");
}

/* DIR/corner.png with all posteriors in it. */
static void plot_overlay(session *s, double *const *theta, long n) {
    int d = s->fitter[0]->n_free;
    plot_axis axes[PLOT_DIM_MAX];
    plot_corner p = {
        .n_dim = d, .chain = {NULL, theta[COMPARE_NESTED], n}, .second = {NULL, theta[COMPARE_NETWORK], n}};
    char err[ERROR_SIZE], block[16];
    out_file o;
    if (d > PLOT_DIM_MAX || plot_axes(axes, &p)) return;
    if (plot_begin(&o, s->opt->out, "corner", 220 * d + 60, 220 * d + 40, 13, err)) fail("%s", err);
    fprintf(o.f, "set contour base; unset surface; unset key; unset colorbox\n");
    for (int c = 0; c < COMPARED; c++) {
        plot_chain chain = {NULL, theta[c], n};
        for (int row = 0; row < d; row++) {
            snprintf(block, sizeof block, "h%d", c);
            plot_histogram(o.f, block, &chain, row, d, &axes[row]);
            snprintf(block, sizeof block, "g%d", c);
            for (int column = 0; column < row; column++) plot_pair(o.f, block, &chain, column, row, d, axes);
        }
    }
    fprintf(o.f, "unset contour; set surface; set tics front scale 0.6\nset multiplot\n");
    for (int c = 0; c < COMPARED; c++)
        fprintf(o.f, "set label %d '%s' at screen 0.96,%.3f right tc rgb '%s' font ',16'\n", c + 1, compared[c],
                0.95 - 0.03 * c, compared_colour[c]);
    for (int row = 0; row < d; row++)
        for (int column = 0; column <= row; column++) {
            overlay_panel(o.f, s, axes, row, column, d);
            if (row == 0) fprintf(o.f, "unset label\n");
        }
    fprintf(o.f, "unset multiplot\n");
    if (plot_end(&o, s->opt->out, "corner", err) < 0) fail("%s", err);
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

int main(int argc, char **argv) {
    options opt = {.out = "fit_xray_out",
                   .every = 5,
                   .min_counts = 0,
                   .starts = 20,
                   .simulations = 200,
                   .live_points = 400,
                   .walkers = 40,
                   .steps = 4000,
                   .draws = 10000,
                   .exposure = 1000,
                   .resample = 1,
                   .n = 10000,
                   .components = 4,
                   .dropout = (double)NAN,
                   .seed = 1};
    const option_row rows[] = {
        {.name = "model", .text = &opt.model, .value = "EXPR", .help = "such as 'tbabs*(powerlaw+bbodyrad)'"},
        {.name = "prior", .text = &opt.prior, .value = "FILE", .help = "lines name,kind,a,b; for fit: the ranges"},
        {.name = "fix", .list = &opt.fix, .value = "NAME=VALUE", .help = "hold a parameter; may be repeated"},
        {.name = "untie",
         .list = &opt.untie,
         .value = "NAME",
         .help = "its own value for each spectrum: NAME@2, NAME@3, ..."},
        {.name = "stat",
         .choice = &opt.statistic,
         .value = "cstat|wstat|chi2",
         .help = "statistic; cstat takes no background"},
        {.name = "e-min",
         .real = &opt.e_min,
         .min = 0,
         .max = 1e6,
         .value = "KEV",
         .help = "lowest energy; 0 and 0: all"},
        {.name = "e-max", .real = &opt.e_max, .min = 0, .max = 1e6, .value = "KEV", .help = "highest energy"},
        {.name = "group",
         .choice = &opt.group,
         .value = "file|none|every|min|optimal",
         .help = "how channels are binned"},
        {.name = "every",
         .integer = &opt.every,
         .min = 1,
         .max = 100000,
         .value = "N",
         .help = "channels a bin, for --group every"},
        {.name = "min-counts",
         .integer = &opt.min_counts,
         .min = 0,
         .max = 1e9,
         .value = "N",
         .help = "least counts a bin, for min and optimal"},
        {.name = "keep-bad", .flag = &opt.keep_bad, .help = "use channels whose QUALITY is not 0"},
        {.name = "systematic",
         .real = &opt.systematic,
         .min = 0,
         .max = 1,
         .value = "F",
         .help = "error, a fraction of the counts, for chi2"},
        {.name = "rmf", .text = &opt.rmf, .value = "FILE", .help = "response, instead of the spectrum's"},
        {.name = "arf", .text = &opt.arf, .value = "FILE", .help = "effective area; none: none"},
        {.name = "background", .text = &opt.background, .value = "FILE", .help = "background spectrum; none: none"},
        {.name = "abundance", .choice = &opt.abundance, .value = "wilm|angr", .help = "of tbabs"},
        {.name = "absorption",
         .text = &opt.absorption,
         .value = "FILE",
         .help = "FITS table of cross-sections for tbabs"},
        {.name = "band", .text = &opt.band, .value = "LO,HI", .help = "keV, for fluxes; else the range of the data"},
        {.name = "starts",
         .integer = &opt.starts,
         .min = 1,
         .max = 100000,
         .value = "N",
         .help = "fits from random places"},
        {.name = "simulations",
         .integer = &opt.simulations,
         .min = 0,
         .max = 1e6,
         .value = "N",
         .help = "for the goodness of fit"},
        {.name = "exposure", .real = &opt.exposure, .min = 1e-6, .max = 1e12, .value = "S", .help = "of fakeit [s]"},
        {.name = "walkers", .integer = &opt.walkers, .min = 4, .max = 100000, .value = "N", .help = "of sample"},
        {.name = "steps",
         .integer = &opt.steps,
         .min = 100,
         .max = 1e8,
         .value = "N",
         .help = "of sample; the first fifth is thrown away"},
        {.name = "draws",
         .integer = &opt.draws,
         .min = 100,
         .max = 1e7,
         .value = "N",
         .help = "posterior draws to write"},
        {.name = "live-points", .integer = &opt.live_points, .min = 20, .max = 1e6, .value = "N", .help = "of nested"},
        {.name = "min-ess",
         .real = &opt.min_ess,
         .min = 0,
         .max = 1e8,
         .value = "N",
         .help = "of nested: effective samples wanted"},
        {.name = "net",
         .text = &opt.net,
         .value = "FILE",
         .help = "network; train: ann, cnn, gru (dropout) or mlp (mixture)"},
        {.name = "response", .text = &opt.rmf, .value = "FILE", .help = "the same as --rmf"},
        {.name = "n",
         .integer = &opt.n,
         .min = 10,
         .max = 1e8,
         .value = "N",
         .help = "simulated spectra: 60 % train, 20 % validate, 20 % test"},
        {.name = "train-on",
         .text = &opt.train_on,
         .value = "FILE",
         .help = "FITS table of simulations, THETA and COUNTS: train on its first 80 %, judge on the rest"},
        {.name = "dropout", .real = &opt.dropout, .min = 0, .max = 0.95, .value = "P", .help = "rate; 0.1, mlp: 0"},
        {.name = "units",
         .integer = &opt.units,
         .min = 0,
         .max = 4096,
         .value = "N",
         .help = "of each layer; 0: 100, mlp: 256"},
        {.name = "layers", .integer = &opt.depth, .min = 0, .max = 16, .value = "N", .help = "0: 4, mlp: 3"},
        {.name = "components",
         .integer = &opt.components,
         .min = 1,
         .max = XRAY_MAX_K,
         .value = "N",
         .help = "of mlp's mixture"},
        {.name = "epochs",
         .integer = &opt.epochs,
         .min = 0,
         .max = 100000,
         .value = "N",
         .help = "at most; 0: 5000, mlp: 60"},
        {.name = "batch", .integer = &opt.batch, .min = 0, .max = 100000, .value = "N", .help = "0: 32, mlp: 128"},
        {.name = "rate",
         .real = &opt.rate,
         .min = 0,
         .max = 1,
         .value = "R",
         .help = "learning rate; 0: 1e-4, mlp: 1e-3"},
        {.name = "resample", .flag = &opt.resample, .help = "correct the network's draws by the likelihood"},
        {.name = "threads",
         .integer = &opt.threads,
         .min = 0,
         .max = MAX_THREADS,
         .value = "N",
         .help = "0: all cores"},
        {.name = "seed", .natural = &opt.seed, .value = "S", .help = "same seed, same results"},
        {.name = "quiet", .flag = &opt.quiet, .help = "no progress bar"},
        {.name = "out", .text = &opt.out, .value = "DIR", .help = "folder for tables, draws and pictures"},
        {0}};
    static session s;
    char err[ERROR_SIZE];
    int first, command = 0, kind = -1, status = 0;
    xray_binning given;
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
        options_help(stdout, rows, "fit_xray COMMAND [options] FILE...", about);
        return 0;
    }
    first = options_parse(argc - 1, argv + 1, rows, "fit_xray COMMAND [options] FILE...", about);
    argv += 1 + first;
    argc -= 1 + first;
    given = binning_of(&opt);
    if (command >= INFER) load_net(&s, &given);
    load_absorption(&s);
    load_model(&s);
    if (command == FAKEIT) {
        if (argc != 1) fail("fit_xray fakeit: the name of the new spectrum is needed");
        status = command_fakeit(&s, argv[0]);
        close_session(&s);
        return status;
    }
    if (command == TRAIN && (kind = choice_index("ann|cnn|gru|mlp", opt.net ? opt.net : "mlp")) < 0)
        fail("fit_xray train: --net '%.60s' is not one of ann, cnn, gru, mlp", opt.net);
    if (argc == 0 && (command == TRAIN || command == JUDGE)) load_blank(&s, &given);
    else load_data(&s, &given, argv, argc);
    load_problem(&s);
    load_band(&s);
    if (command >= INFER) check_net(&s);
    if (command != TRAIN && out_folder(opt.out, err)) fail("%s", err);
    switch (command) {
    case FIT: status = command_fit(&s); break;
    case NESTED: status = command_nested(&s); break;
    case SAMPLE: status = command_sample(&s); break;
    case TRAIN: status = command_train(&s, kind); break;
    case INFER: status = command_infer(&s); break;
    case JUDGE: status = command_judge(&s); break;
    default: status = command_compare(&s); break;
    }
    close_session(&s);
    return status;
}
