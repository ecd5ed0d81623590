/* samplers.h: posteriors by the ensemble sampler and by nested sampling: the commands sample and nested.
   Public domain or MIT, see LICENSE. */
#ifndef FIT_XRAY_SAMPLERS_H
#define FIT_XRAY_SAMPLERS_H
#include "report.h"

static int sample_progress(const bml_mcmc_progress *p, void *user) {
    char note[64];
    snprintf(note, sizeof note, "%.0f %% accepted", 100 * p->acceptance);
    progress_at(user, (double)p->step, note);
    return 0;
}

/* A sampler that has not converged has a result all the same. */
static int is_result(int status) {
    return status == BML_MCMC_OK || status == BML_MCMC_NOT_CONVERGED;
}

static void sampler_fails(const session *s, int status, const char *message) {
    fail("fit_xray %s: %s: %s", s->command, bml_mcmc_strerror(status), message);
}

/* Room for the posterior's draws. */
static double *room_for_draws(const session *s) {
    const size_t d = (size_t)s->fitter[0]->n_free;
    double *theta = xray_alloc((size_t)s->opt->draws, d * sizeof *theta);
    if (!theta) {
        fail("fit_xray: out of memory");
    }
    return theta;
}

static void verdict_samples(verdict *v, double ess) {
    const int colour = verdict_colour(-ess, -400, -100);
    verdict_add(v, colour, "effective_samples", ess, "%.0f effective samples.", ess);
}

/* What an ensemble leaves beside its draws. */
typedef struct ensemble_result {
    bml_mcmc_verdict verdict;
    bml_mcmc_summary summary[XRAY_MAX_FREE];
    xray_best best; /* of the fits that it starts at */
    uint64_t evaluations;
    size_t steps; /* judged, after verdict.burn */
} ensemble_result;

/* A ball as wide as the errors of a fit, inside the ranges. */
static void ball_of_fit(double *center, double *radius, const session *s, const xray_best *found) {
    const xray_fitter *f = s->fitter[0];
    for (int k = 0; k < f->n_free; k++) {
        const double best = found->theta[k];
        const double sigma = found->sigma[k];
        const xray_parameter *q = &s->problem.par[f->free_par[k]];
        const double range = q->hi - q->lo;
        const double error = sigma > 0 ? sigma : 1e-2 * range;
        radius[k] = fmin(error, 0.05 * range);
        const double lowest = q->lo + radius[k];
        const double highest = q->hi - radius[k];
        center[k] = fmin(fmax(best, lowest), highest);
    }
}

/* n draws theta[n][d], evenly along the chain. */
static void draws_of_chain(double *theta, long n, bml_mcmc_chain chain) {
    const size_t d = (size_t)chain.n_dim;
    const size_t length = chain.n_steps * (size_t)chain.n_walkers;
    for (long i = 0; i < n; i++) {
        const double place = (double)i / (double)n;
        const size_t at = (size_t)(place * (double)length);
        memcpy(theta + (size_t)i * d, chain.theta + at * d, d * sizeof *theta);
    }
}

/* n draws theta[n][d] by an ensemble that starts at the best of many fits and runs until --min-ess, or --steps. */
static void ensemble_draws(session *s, double *theta, long n, ensemble_result *r) {
    const options *opt = s->opt;
    const xray_fitter *f = s->fitter[0];
    progress_bar bar;
    bml_mcmc_ensemble *e;
    const char *names[XRAY_MAX_FREE];
    double radius[XRAY_MAX_FREE];
    double center[XRAY_MAX_FREE];
    for (int k = 0; k < f->n_free; k++)
        names[k] = s->problem.par[f->free_par[k]].name;
    need_prior(s);
    xray_fit_starts(&r->best, s->fitter[0], (int)opt->starts, opt->seed);
    ball_of_fit(center, radius, s, &r->best);
    const bml_mcmc_config config = {.n_dim = f->n_free,
                                    .n_walkers = (int)opt->walkers,
                                    .seed = opt->seed,
                                    .log_prob = log_posterior,
                                    .user = s,
                                    .names = names,
                                    .progress = sample_progress,
                                    .progress_user = &bar};
    const double steps = (double)opt->steps;
    const bml_mcmc_goal goal = {.ess = opt->min_ess, .steps = steps};
    progress_begin(&bar, "sampling", steps, opt->quiet);
    char why[BML_MCMC_MESSAGE];
    int status = bml_mcmc_ensemble_create(&e, &config, why);
    if (!status) {
        status = bml_mcmc_start_ball(e, center, radius);
    }
    if (!status) {
        status = bml_mcmc_run_until(e, &r->verdict, &goal);
    }
    progress_end(&bar);
    const size_t burn = r->verdict.burn;
    if (is_result(status)) {
        status = bml_mcmc_ensemble_summary(e, r->summary, burn);
    }
    if (!is_result(status)) {
        sampler_fails(s, status, e ? bml_mcmc_ensemble_message(e) : why);
    }
    const bml_mcmc_chain chain = bml_mcmc_chain_drop(bml_mcmc_ensemble_chain(e), burn);
    draws_of_chain(theta, n, chain);
    r->steps = chain.n_steps;
    r->evaluations = bml_mcmc_ensemble_get_info(e).evaluations;
    bml_mcmc_ensemble_free(e);
}

/* What a sampler's own verdict has against its run, but for the rank test, which has a line of its own; and which
   walkers were stuck. */
static void verdict_of_sampler(verdict *v, const bml_mcmc_verdict *own) {
    int refused = 0;
    for (int i = 0; i < own->n_reasons; i++) {
        const bml_mcmc_reason *reason = &own->reason[i];
        if (reason->kind == BML_MCMC_REASON_STUCK) {
            verdict_add(v, VERDICT_GREEN, "stuck_walkers", reason->value, "%s.", reason->text);
        }
        if (!reason->refuses || reason->kind == BML_MCMC_REASON_RANK) {
            continue;
        }
        verdict_add(v, VERDICT_RED, "converged", reason->value, "NOT CONVERGED: %s.", reason->text);
        refused = 1;
    }
    if (!refused && own->status && own->status != BML_MCMC_NOT_CONVERGED) {
        verdict_add(v, VERDICT_RED, "converged", 0, "The run could not be judged: %s.", bml_mcmc_strerror(own->status));
    }
}

/* The quality of the best fit, the edges of the prior, the data. */
static void verdict_posterior(verdict *v, session *s, const xray_best *best, const double *theta, long n) {
    goodness_of_fit g = goodness(s, best);
    verdict_quality(v, s, best, &g);
    verdict_edges(v, s, theta, n);
    verdict_data(v, s);
}

static int command_sample(session *s) {
    const int d = s->fitter[0]->n_free;
    const long n = s->opt->draws;
    double *theta = room_for_draws(s);
    double tau = 0;
    ensemble_result r;
    ensemble_draws(s, theta, n, &r);
    write_posterior(s, theta, n, r.best.theta);
    for (int k = 0; k < d; k++)
        tau = fmax(tau, r.summary[k].tau);
    const double ess = fmin(r.verdict.ess_bulk, r.verdict.ess_tail);
    const bml_mcmc_verdict *own = &r.verdict;
    printf("best %.2f in %d bins; ", r.best.statistic, s->fitter[0]->n_bin);
    printf("%.0f effective samples, R-hat %.4f, ", ess, own->rhat);
    printf("%.0f likelihoods: %.0f steps after %.0f of burn-in, ", (double)r.evaluations, (double)r.steps,
           (double)own->burn);
    printf("autocorrelation %.1f steps\n", tau);
    verdict v = {0};
    verdict_of_sampler(&v, own);
    verdict_samples(&v, ess);
    verdict_posterior(&v, s, &r.best, theta, n);
    run_entry results[] = {{"best_statistic", r.best.statistic, NULL},
                           {"effective_samples", ess, NULL},
                           {"rhat", r.verdict.rhat, NULL},
                           {"evaluations", (double)r.evaluations, NULL},
                           {"steps", (double)r.steps, NULL},
                           {"burn", (double)r.verdict.burn, NULL},
                           {"autocorrelation_steps", tau, NULL},
                           {"converged", r.verdict.status == BML_MCMC_OK, NULL},
                           {NULL, 0, NULL}};
    free(theta);
    return finish(s, &v, results);
}

static int nested_progress(const bml_mcmc_nested_progress *p, void *user) {
    char note[96];
    snprintf(note, sizeof note, "ln Z %.2f, %.3g of it left", p->log_z, p->remaining);
    double done = 1;
    if (p->remaining > 0) {
        done = fmin(1, log(p->remaining) / log(0.01));
    }
    progress_at(user, done, note);
    return 0;
}

/* n equally weighted draws theta[n][d] by nested sampling, and what it found; the caller frees the sampler, which owns
   it. */
static bml_mcmc_nested *nested_draws(session *s, double *theta, long n, bml_mcmc_nested_result *r) {
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
    char why[BML_MCMC_MESSAGE];
    int status = bml_mcmc_nested_create(&sampler, &config, why);
    if (!status) {
        status = bml_mcmc_nested_run(sampler, 0);
    }
    progress_end(&bar);
    if (is_result(status)) {
        status = bml_mcmc_nested_get_result(sampler, r);
    }
    const uint64_t seed = s->opt->seed;
    if (!status) {
        status = bml_mcmc_nested_draw(sampler, theta, NULL, (size_t)n, seed);
    }
    if (status) {
        sampler_fails(s, status, sampler ? bml_mcmc_nested_message(sampler) : why);
    }
    return sampler;
}

/* A point as a fit, climbed down from, so that its statistic can be judged as a best fit's. */
static void at_point(xray_best *best, session *s, const double *theta) {
    double u[XRAY_MAX_FREE];
    xray_to_cube(u, s->fitter[0], theta);
    xray_climb(best, s->fitter[0], u, NULL);
}

/* Posterior and evidence. */
static int command_nested(session *s) {
    const int d = s->fitter[0]->n_free;
    bml_mcmc_nested_result r;
    const long n = s->opt->draws;
    double *theta = room_for_draws(s);
    bml_mcmc_nested *sampler = nested_draws(s, theta, n, &r);
    const size_t last = r.n_points - 1;
    const double *highest = r.theta + last * (size_t)d;
    const double statistic = -2 * r.log_likelihood[last];
    write_posterior(s, theta, n, highest);
    printf("ln Z %.2f +- %.2f, information %.1f nats, ", r.log_z, r.log_z_error, r.information);
    printf("%.0f effective samples, %.0f likelihoods, ", r.ess, (double)r.evaluations);
    printf("best %.2f in %d bins\n", statistic, s->fitter[0]->n_bin);
    verdict v = {0};
    if (!r.converged) {
        verdict_add(&v, VERDICT_RED, "converged", r.log_z_error, "The run ended before it had converged.");
    } else {
        bml_mcmc_verdict own;
        bml_mcmc_nested_verdict(&own, sampler);
        verdict_of_sampler(&v, &own);
    }
    verdict_add(&v, r.rank_ok ? VERDICT_GREEN : VERDICT_RED, "rank_p", r.rank_p,
                r.rank_ok ? "The insertion ranks are uniform (p = %.2g)."
                          : "The insertion-rank test fails (p = %.2g): more --live-points.",
                r.rank_p);
    verdict_samples(&v, r.ess);
    xray_best best;
    at_point(&best, s, highest);
    verdict_posterior(&v, s, &best, theta, n);
    run_entry results[] = {{"log_z", r.log_z, NULL},
                           {"log_z_error", r.log_z_error, NULL},
                           {"information_nats", r.information, NULL},
                           {"effective_samples", r.ess, NULL},
                           {"evaluations", (double)r.evaluations, NULL},
                           {"rank_p", r.rank_p, NULL},
                           {"best_statistic", statistic, NULL},
                           {NULL, 0, NULL}};
    free(theta);
    bml_mcmc_nested_free(sampler);
    return finish(s, &v, results);
}
#endif
