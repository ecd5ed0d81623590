/* report.h: what fit_xray says of its results: fluxes, bins, draws, pictures, run.json.
   Public domain or MIT, see LICENSE. */
#ifndef FIT_XRAY_REPORT_H
#define FIT_XRAY_REPORT_H
#include "verdicts.h"
#include "xray_plot.h"

/* Median and 68 % interval of values[n], which are sorted. */
static void interval_of(double *out, double *values, long n) {
    out[0] = bml_mcmc_quantile(values, (size_t)n, 0.5);
    out[1] = bml_mcmc_quantile(values, (size_t)n, 0.158655);
    out[2] = bml_mcmc_quantile(values, (size_t)n, 0.841345);
}

static void print_flux(const session *s, double flux[2][3]) {
    const double *absorbed = flux[0];
    const double *bare = flux[1];
    printf("flux %.4g to %.4g keV: ", s->band[0], s->band[1]);
    printf("absorbed %.4g (%.4g to %.4g), ", absorbed[0], absorbed[1], absorbed[2]);
    printf("unabsorbed %.4g (%.4g to %.4g) erg/(cm2 s)\n", bare[0], bare[1], bare[2]);
}

/* The flux in the band as a function of the free parameters: a quantity for xray_pull_interval. */
typedef struct flux_question {
    session *s;
    int absorbed;
} flux_question;

static double flux_at(xray_fitter *f, const double *theta, void *user) {
    const flux_question *q = user;
    double full[XRAY_MAX_PAR];
    xray_expand(full, f, 0, theta);
    session *s = q->s;
    return xray_flux(&s->model, &s->grid, full, q->absorbed, s->scratch);
}

/* Fluxes of the best fit, absorbed and unabsorbed, each with the 68 % interval of its own profile. */
static void best_flux(session *s, const xray_best *best, double out[2][3]) {
    xray_fitter *f = s->fitter[0];
    double counts = 0;
    for (int i = 0; i < s->n_data; i++) {
        const xray_data *d = &s->data[i];
        for (int b = 0; b < d->n; b++) {
            counts += d->counts[b];
        }
    }
    for (int bare = 0; bare < 2; bare++) {
        flux_question q = {s, !bare};
        xray_pull pull = {.of = flux_at, .user = &q};
        double *flux = out[bare];
        flux[0] = flux_at(f, best->theta, &q);
        flux[1] = flux[0];
        flux[2] = flux[0];
        if (!(flux[0] > 0)) {
            continue;
        }
        double step = 1 / sqrt(fmax(counts, 4));
        xray_pull_interval(&flux[1], &flux[2], f, &pull, best, step, 1);
    }
    print_flux(s, out);
}

/* Fluxes in the band at draws theta[n][d]: absorbed and unabsorbed, median and 68 % interval; of the first spectrum. */
static void flux_table(session *s, const double *theta, long n, double out[2][3]) {
    int d = s->fitter[0]->n_free;
    double full[XRAY_MAX_PAR];
    double *flux = xray_alloc((size_t)n, sizeof *flux);
    if (!flux) {
        fail("fit_xray: out of memory");
    }
    for (int bare = 0; bare < 2; bare++) {
        for (long i = 0; i < n; i++) {
            const double *draw = theta + i * d;
            xray_expand(full, s->fitter[0], 0, draw);
            flux[i] = xray_flux(&s->model, &s->grid, full, !bare, s->scratch);
        }
        interval_of(out[bare], flux, n);
    }
    free(flux);
    print_flux(s, out);
}

/* DIR/flux.csv */
static void write_flux(session *s, double flux[2][3]) {
    double values[2][6];
    char err[ERROR_SIZE];
    for (int i = 0; i < 2; i++) {
        double *row = values[i];
        row[0] = s->band[0];
        row[1] = s->band[1];
        row[2] = i;
        memcpy(row + 3, flux[i], 3 * sizeof(double));
    }
    const char *columns = "e_min_keV,e_max_keV,unabsorbed,flux_erg_cm2_s,lo68,hi68";
    if (csv_write(s->opt->out, "flux.csv", columns, values[0], 2, 6, err)) {
        fail("%s", err);
    }
}

/* DIR/bins.csv: the data and the model at theta. */
static void write_bins(session *s, const double *theta) {
    xray_fitter *f = s->fitter[0];
    char err[ERROR_SIZE];
    const double *m = f->model;
    xray_counts(f->model, f, theta);
    out_file o;
    if (out_begin(&o, s->opt->out, "bins.csv", err)) {
        fail("%s", err);
    }
    fprintf(o.f, "spectrum,e_lo_keV,e_hi_keV,counts,background_counts,background_ratio,model_counts\n");
    for (int i = 0; i < s->problem.n_data; i++) {
        const xray_data *d = &s->data[i];
        for (int b = 0; b < d->n; b++) {
            double background = d->background ? d->background[b] : 0;
            fprintf(o.f, "%d,%.7g,%.7g,", i + 1, d->e_lo[b], d->e_hi[b]);
            fprintf(o.f, "%.10g,%.10g,%.7g,", d->counts[b], background, d->ratio[b]);
            fprintf(o.f, "%.9g\n", *m++);
        }
    }
    if (out_commit(&o, err)) {
        fail("%s", err);
    }
}

/* DIR/spectrum.png of the models at theta[n_models][d]. */
static void plot_spectrum(session *s, const double *theta, const char *const *name, int n_models) {
    xray_fitter *f = s->fitter[0];
    size_t bins = (size_t)f->n_bin;
    double *counts = xray_alloc((size_t)n_models, bins * sizeof *counts);
    const double *model[8];
    int spectra = s->n_data - s->n_points;
    xray_spectra p = {s->data, spectra, s->opt->statistic, n_models, model, name, s->band};
    char err[ERROR_SIZE];
    if (!spectra) {
        free(counts);
        return;
    }
    if (!counts || n_models > 8) {
        fail("fit_xray: out of memory");
    }
    for (int m = 0; m < n_models; m++) {
        double *own = counts + (size_t)m * bins;
        xray_counts(own, f, theta + m * f->n_free);
        model[m] = own;
    }
    if (xray_plot_spectrum(s->opt->out, &p, err)) {
        fail("%s", err);
    }
    free(counts);
}

/* The same of one model. */
static void plot_best(session *s, const double *theta) {
    static const char *const name[] = {"model"};
    plot_spectrum(s, theta, name, 1);
}

/* Names of the free parameters for pictures, label[d]: without the component where the rest says enough, and 'norm #2'
   for norm@2, since an @ is a command to gnuplot. room[d] holds them. */
static void picture_names(const char **label, char (*room)[XRAY_NAME + 24], const session *s) {
    for (int k = 0; k < s->fitter[0]->n_free; k++) {
        const char *name = parameter_name(s, k);
        const char *dot = strchr(name, '.');
        if (dot && xray_problem_find(&s->problem, dot + 1) >= 0) {
            name = dot + 1;
        }
        const char *at = strchr(name, '@');
        label[k] = room[k];
        if (at) {
            int length = (int)(at - name);
            snprintf(room[k], sizeof room[k], "%.*s #%.8s", length, name, at + 1);
        } else {
            snprintf(room[k], sizeof room[k], "%s", name);
        }
    }
}

/* Free parameter k on the screen and in parameters.csv, from its draws column[n], which end sorted. */
static void write_row(FILE *f, const session *s, int k, double *column, long n, double best) {
    const char *name = parameter_name(s, k);
    const char *unit = parameter_unit(s, k);
    double q[3];
    double mean = 0;
    double square = 0;
    for (long i = 0; i < n; i++) {
        mean += column[i] / (double)n;
    }
    for (long i = 0; i < n; i++) {
        double off = column[i] - mean;
        square += off * off / (double)(n - 1);
    }
    double sd = sqrt(square);
    interval_of(q, column, n);
    printf("%-22s %12.5g", name, q[0]);
    printf(" %12.5g %12.5g", q[1], q[2]);
    printf(" %12.5g %12.3g  %s\n", mean, sd, unit);
    fprintf(f, "%s,%s,", name, unit);
    fprintf(f, "%.9g,%.9g,%.9g,", q[0], q[1], q[2]);
    fprintf(f, "%.9g,%.9g,%.9g\n", mean, sd, best);
}

/* Tables and pictures of equally weighted draws theta[n][d]; best[d] is drawn with the data. */
static void write_posterior(session *s, const double *theta, long n, const double *best) {
    int d = s->fitter[0]->n_free;
    const char *label[XRAY_MAX_FREE];
    char room[XRAY_MAX_FREE][XRAY_NAME + 24];
    double *column = xray_alloc((size_t)n, sizeof *column);
    double flux[2][3];
    long shape[2] = {n, d};
    char err[ERROR_SIZE];
    if (!column) {
        fail("fit_xray: out of memory");
    }
    printf("%-22s %12s %12s %12s %12s %12s\n", "parameter", "median", "68 % from", "to", "mean", "sd");
    out_file o;
    if (out_begin(&o, s->opt->out, "parameters.csv", err)) {
        fail("%s", err);
    }
    fprintf(o.f, "parameter,unit,median,lo68,hi68,mean,sd,best\n");
    for (int k = 0; k < d; k++) {
        for (long i = 0; i < n; i++) {
            column[i] = theta[i * d + k];
        }
        write_row(o.f, s, k, column, n, best[k]);
    }
    free(column);
    if (out_commit(&o, err)) {
        fail("%s", err);
    }
    flux_table(s, theta, n, flux);
    write_flux(s, flux);
    write_bins(s, best);
    if (npy_write(s->opt->out, "posterior.npy", theta, shape, 2, err)) {
        fail("%s", err);
    }
    if (d <= PLOT_DIM_MAX) {
        plot_corner p = {.n_dim = d, .label = label, .chain = {NULL, theta, n}};
        picture_names(label, room, s);
        if (plot_corner_write(&p, s->opt->out, "corner", err) < 0) {
            fail("%s", err);
        }
    }
    plot_best(s, best);
}
/* By simulations where there are some, else by Poisson's law (C without a background) or chi2's. */
static goodness_of_fit goodness(session *s, const xray_best *best) {
    xray_fitter *f = s->fitter[0];
    goodness_of_fit g = {(double)NAN, (double)NAN, s->opt->simulations};
    double mean = f->n_bin;
    double variance = 2.0 * f->n_bin;
    int plain = s->problem.kind == XRAY_CHI2;
    if (s->problem.kind == XRAY_C) {
        plain = 1;
        for (int i = 0; i < s->n_data; i++) {
            const xray_data *d = &s->data[i];
            plain &= !d->background && !d->point;
        }
        xray_counts(f->model, f, best->theta);
        xray_c_expected(&mean, &variance, f->model, f->n_bin);
        if (plain && mean > f->n_free && variance > 0) { /* else too few counts for it to mean anything */
            printf("C of a perfect model: %.1f +- %.1f\n", mean - f->n_free, sqrt(variance));
        }
    }
    if (g.n > 0) {
        double sd;
        g.share = xray_goodness_of(&mean, &sd, f, best, (int)g.n, s->opt->seed);
        printf("%.1f %% of %ld simulations of this model fit better\n", 100 * g.share, g.n);
        g.sigmas = (best->statistic - mean) / sd;
    } else if (plain) {
        g.sigmas = (best->statistic - mean + f->n_free) / sqrt(variance);
    }
    return g;
}
#endif
