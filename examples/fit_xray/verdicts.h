/* verdicts.h: what a referee would ask of fit_xray's results: of the data, of the parameters, of the fit, of the
   posterior; and the end of every command, which writes and prints it. Public domain or MIT, see LICENSE. */
#ifndef FIT_XRAY_VERDICTS_H
#define FIT_XRAY_VERDICTS_H
#include "session.h"
#include "verdict.h"

/* Bins with fewer than `least` counts, and background bins without any. */
static int bins_below(const double *counts, int n, double least) {
    int below = 0;
    for (int i = 0; i < n; i++)
        below += counts[i] < least;
    return below;
}

/* One spectrum: what its reader decided, a background that is left out, too few counts for the statistic. */
static void verdict_spectrum(verdict *v, const session *s, int i) {
    const xray_data *d = &s->data[i];
    int kind = xray_kind_of(d, s->problem.kind);
    int few = bins_below(d->counts, d->n, kind == XRAY_CHI2 ? 20 : 1);
    const char *name = strrchr(d->name, '/') ? strrchr(d->name, '/') + 1 : d->name;
    if (d->note[0]) {
        verdict_add(v, VERDICT_YELLOW, "file", i + 1, "%.100s: %.280s.", name, d->note);
    }
    if (d->dropped && !s->opt->background.n) {
        verdict_add(v, VERDICT_RED, "background", i + 1,
                    "%.100s names a background, which a network cannot take: its counts are taken for the source's "
                    "(--background none: you know that it is negligible).",
                    name);
    }
    if (d->dropped && s->opt->background.n) {
        verdict_add(v, VERDICT_YELLOW, "background", i + 1,
                    "%.100s: the background that it names is left out, as asked.", name);
    }
    if (kind == XRAY_CHI2 && few && d->exact) {
        verdict_add(
            v, VERDICT_YELLOW, "few_counts", few,
            "%.100s: %d of %d bins hold fewer than 20 counts: chi2 is biased there (--stat cstat, or --group min "
            "--min-counts 20).",
            name, few, d->n);
    }
    if (kind == XRAY_CHI2 && d->silent) {
        verdict_add(v, VERDICT_YELLOW, "no_error", d->silent, "%.100s: %d of %d bins have no error and do not count.",
                    name, d->silent, d->n);
    }
    if (kind != XRAY_W) {
        return;
    }
    int dark = bins_below(d->background, d->n, 1);
    if (4 * dark > d->n) {
        verdict_add(v, VERDICT_YELLOW, "background_counts", dark,
                    "%.100s: %d of %d background bins are empty: W is biased there (group to a few counts, or fit the "
                    "background with --background-model).",
                    name, dark, d->n);
    }
}

/* A network in the place of the solver errs by more than the counts do, where there are many. */
static void verdict_net_of_ssc(verdict *v, const session *s) {
    double counts = 1;
    double kev = sqrt(s->band[0] * s->band[1]);
    if (!s->ssc || !s->ssc->net.net) {
        return;
    }
    for (int i = 0; i < s->n_data - s->n_points; i++)
        for (int b = 0; b < s->data[i].n; b++)
            counts += s->data[i].counts[b];
    double error = surrogate_error_at(&s->ssc->net, log10(kev / 511) - 1.2); /* for a Doppler factor of 16 */
    double noise = 0.434 / sqrt(counts);
    verdict_add(v, error > noise ? VERDICT_YELLOW : VERDICT_GREEN, "ssc_net", error,
                error > noise ? "The network of ssc errs by some %.2g dex, the counts by %.2g: fit again by the solver."
                              : "The network of ssc errs by some %.2g dex, the counts by %.2g.",
                error, noise);
}

static void verdict_data(verdict *v, const session *s) {
    verdict_net_of_ssc(v, s);
    for (int i = 0; i < s->n_data - s->n_points; i++)
        verdict_spectrum(v, s, i);
    for (int k = 0; k < s->problem.n_all; k++) {
        const xray_parameter *q = &s->problem.par[k];
        int is_z = strstr(q->name, ".Redshift") != NULL;
        if (!q->free && q->by_default && is_z && fabs(q->value) <= 0) {
            verdict_add(v, VERDICT_YELLOW, "redshift", 0, "%s is held at 0: give it by --fix %s=Z, or --free it.",
                        q->name, q->name);
        }
    }
    char pair[2 * XRAY_NAME];
    if (xray_exchangeable(pair, &s->model)) {
        verdict_add(
            v, VERDICT_YELLOW, "exchangeable", 1,
            "%s are exchangeable: which is which is arbitrary, and a posterior has a mirror image; order them by "
            "priors that do not overlap.",
            pair);
    }
}

/* Parameters at a limit, without effect, or tied. */
static void verdict_parameters(verdict *v, const session *s, const xray_best *best) {
    char tied[256] = "";
    int n_tied = 0;
    int good = 1;
    for (int k = 0; k < s->fitter[0]->n_free; k++) {
        const char *name = parameter_name(s, k);
        int state = best->state[k];
        size_t used = strlen(tied);
        good &= state == XRAY_FINE;
        if (state == XRAY_AT_LOW || state == XRAY_AT_HIGH) {
            verdict_add(v, VERDICT_RED, "at_limit", best->theta[k],
                        "%s is at its %s limit, %g: it has no error, and the others' are those beside it.", name,
                        state == XRAY_AT_LOW ? "lower" : "upper", best->theta[k]);
        }
        if (state == XRAY_NO_EFFECT) {
            verdict_add(v, VERDICT_RED, "no_effect", best->theta[k],
                        "%s changes nothing in the counts here: fix it, or leave its component out.", name);
        }
        if (state != XRAY_TIED) {
            continue;
        }
        snprintf(tied + used, sizeof tied - used, "%s%s", n_tied ? ", " : "", name);
        n_tied++;
    }
    if (n_tied) {
        verdict_add(v, VERDICT_RED, "tied", n_tied,
                    "%s: only a combination of them is measured (the covariance is singular): fix all but one.", tied);
    }
    if (good) {
        verdict_add(v, VERDICT_GREEN, "parameters", s->fitter[0]->n_free, "Every free parameter is measured.");
    }
}

/* The statistic against what simulations, or Poisson's law, say of a good fit. */
static void verdict_quality(verdict *v, const session *s, const xray_best *best, const goodness_of_fit *g) {
    int n_bin = s->fitter[0]->n_bin;
    double per_bin = best->statistic / n_bin;
    int has_w = 0;
    for (int i = 0; i < s->n_data; i++)
        has_w |= xray_kind_of(&s->data[i], s->problem.kind) == XRAY_W;
    if (has_w && per_bin < 0.1) {
        verdict_add(v, VERDICT_RED, "w_per_bin", per_bin,
                    "W is %.3g a bin, where a good fit has about 1: is the background the source itself?", per_bin);
    }
    if (n_bin <= s->fitter[0]->n_free) {
        verdict_add(v, VERDICT_YELLOW, "goodness", per_bin, "%d bins cannot test a model of %d free parameters.", n_bin,
                    s->fitter[0]->n_free);
        return;
    }
    if (isnan(g->sigmas) && g->n == 0) {
        int hopeless = per_bin > 1 + 10 * sqrt(2.0 / n_bin);
        verdict_add(v, hopeless ? VERDICT_RED : VERDICT_YELLOW, "goodness", per_bin,
                    "How good the fit is was not asked (--simulations 0): %.3g a bin.", per_bin);
        return;
    }
    if (!isfinite(g->sigmas)) { /* no counts, or one simulation */
        verdict_add(v, VERDICT_YELLOW, "goodness", per_bin,
                    "How good the fit is cannot be told: of spectra like this one no scatter is known.");
        return;
    }
    int colour = verdict_colour(g->sigmas, 2.326, 5); /* one in a hundred; beyond any doubt */
    if (g->sigmas < -3.09) {
        colour = VERDICT_YELLOW;
    }
    if (g->sigmas > 3.09 && g->n >= 100 && g->share >= 1) {
        colour = VERDICT_RED;
    }
    verdict_add(v, colour, "goodness", g->sigmas,
                colour == VERDICT_GREEN
                    ? "The model describes the counts: the statistic is %+.1f sigma from expectation."
                : g->sigmas < 0 ? "The fit is better than chance allows, by %+.1f sigma: are the errors right?"
                                : "The model does not describe the counts well: %+.1f sigma from expectation.",
                g->sigmas);
}

static void verdict_search(verdict *v, const session *s, const xray_best *best) {
    long starts = s->opt->starts;
    if (!best->converged) {
        verdict_add(v, VERDICT_RED, "converged", best->statistic, "The fit has not converged.");
    } else if (best->agree < 2 && starts > 2) {
        verdict_add(v, VERDICT_YELLOW, "starts", best->agree,
                    "Only %d of %ld starts ended at the best place: take more --starts.", best->agree, starts);
    } else {
        verdict_add(v, VERDICT_GREEN, "starts", best->agree, "%d of %ld starts ended at the best place.", best->agree,
                    starts);
    }
}

/* Draws theta[n][d] that pile up at the edge of a prior: the prior, not the data, ends the posterior there. */
static void verdict_edges(verdict *v, const session *s, const double *theta, long n) {
    const xray_fitter *f = s->fitter[0];
    int clear = 1;
    for (int k = 0; k < f->n_free; k++) {
        const xray_parameter *q = &s->problem.par[f->free_par[k]];
        double at_low = 0;
        double at_high = 0;
        for (long i = 0; i < n; i++) {
            double u = xray_par_u(q, theta[i * f->n_free + k]);
            at_low += u < 0.02;
            at_high += u > 0.98;
        }
        double most = fmax(at_low, at_high) / (double)n;
        if (most < 0.1) {
            continue;
        }
        clear = 0;
        verdict_add(v, VERDICT_YELLOW, "prior_edge", most,
                    "%s: %.0f %% of the posterior lies in the outer 2 %% of its prior, at the %s edge.", q->name,
                    100 * most, at_low > at_high ? "lower" : "upper");
    }
    if (clear) {
        verdict_add(v, VERDICT_GREEN, "prior_edge", 0, "No posterior presses against an edge of its prior.");
    }
}

/* Writes run.json and DIR/verdict.txt, prints the verdict; the command's exit status. */
static int finish(session *s, const verdict *v, const run_entry *results) {
    char err[ERROR_SIZE];
    run_info run = {.program = "fit_xray",
                    .options = s->rows,
                    .input = s->input,
                    .seed = s->opt->seed,
                    .seconds = seconds_now() - s->start,
                    .results = results,
                    .more = verdict_json,
                    .more_of = v};
    if (run_write(s->opt->out, &run, err) || verdict_write(v, s->opt->out, err)) {
        fail("%s", err);
    }
    verdict_print(stdout, v);
    return verdict_status(v);
}
#endif
