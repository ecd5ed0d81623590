/* samplers.h: how fit_sed samples a problem of model.h: ensemble, nested sampling, NUTS, importance sampling. Each fills a
   `posterior`; the table `samplers` at the end lists them. Each looks often whether it is asked to stop, leaves its
   state then, and begins with the state of an earlier leg where --resume says so. Public domain or MIT, see LICENSE. */
#ifndef FIT_SED_SAMPLERS_H
#define FIT_SED_SAMPLERS_H
#include "climb.h"

/* ==== sample ====================================================================================================== */

/* What a sampler leaves behind. */
typedef struct posterior {
    bml_mcmc_chain chain; /* of the free parameters; theta and log_prob are owned by the sampler, or by `own` */
    bml_mcmc_summary summary[N_PAR];
    double log_z; /* NaN without nested sampling */
    double log_z_error;
    int converged;
    int markov;                   /* the chain has a tau */
    int unfinished;               /* its budget ran out: --resume goes on */
    char reason[BML_MCMC_REASON]; /* the first that the sampler's verdict has against the run; "" */
    long steps;                   /* of the sampler, before any weighing */
    long chains;
    long burn;                   /* steps before those */
    int net_fit;                 /* the network is good enough, by the solver's weights */
    double net_kept;             /* effective share of its draws by these weights */
    bml_mcmc_ensemble *ensemble; /* or */
    bml_mcmc_nested *nested;
    bml_mcmc_importance *importance;
    double *own;
} posterior;

/* NOT_CONVERGED is no error: its results are there. */
static void must(int status) {
    if (status == BML_MCMC_OK || status == BML_MCMC_NOT_CONVERGED) {
        return;
    }
    fail("fit_sed: %s", bml_mcmc_strerror(status));
}

/* The same, where a sampler says more; stopped is none either. */
static void must_run(int status, const char *message) {
    if (status == BML_MCMC_OK || status == BML_MCMC_NOT_CONVERGED || status == BML_MCMC_CANCELLED) {
        return;
    }
    fail("fit_sed: %s: %s", bml_mcmc_strerror(status), message);
}

/* A sampler takes the state of an earlier leg. */
static void must_load(int status, const problem *p, const char *message) {
    if (status) {
        fail("%s/state.bin: %s: %s", p->opt->out, bml_mcmc_strerror(status), message);
    }
}

/* The sampler's own verdict on the run: what refuses it is said, and the first of it kept. Walkers that were stuck are
   named. */
static int stands(posterior *post, const bml_mcmc_verdict *v, const problem *p) {
    const int loud = !p->opt->quiet;
    must(v->status);
    for (int i = 0; i < v->n_reasons; i++) {
        const bml_mcmc_reason *r = &v->reason[i];
        const int stuck = r->kind == BML_MCMC_REASON_STUCK;
        if (stuck && loud) {
            printf("%s\n", r->text);
        }
        if (!r->refuses) {
            continue;
        }
        if (loud) {
            printf("not to be trusted: %s\n", r->text);
        }
        const int first = !post->reason[0];
        if (first) {
            memcpy(post->reason, r->text, sizeof r->text);
        }
    }
    return v->status == BML_MCMC_OK;
}

static double least_ess(const posterior *post, const problem *p) {
    double least = HUGE_VAL;
    for (int i = 0; i < p->n_free; i++)
        least = fmin(least, post->summary[i].ess);
    return least;
}

/* Whether all parameters have the effective samples that were asked for. */
static int has_ess(const bml_mcmc_summary *s, const problem *p) {
    for (int k = 0; k < p->n_free; k++)
        if (!(s[k].ess >= p->opt->min_ess)) {
            return 0;
        }
    return 1;
}

static void keep_ensemble(bml_mcmc_ensemble *e, const problem *p, double *start) {
    const size_t size = bml_mcmc_ensemble_save_size(e);
    void *bytes = state_room(size);
    const int status = bml_mcmc_ensemble_save(e, bytes, size);
    state_keep(p, start, bytes, size, status);
}

/* Search, climb and refine, or the positions that an earlier leg has reached. Yours to free. */
static double *find_start(problem *p, state *s, int refined) {
    double *start = s->start;
    const int64_t phase = s->head.phase;
    progress_bar bar;
    s->start = NULL;
    if (start && phase == PHASE_SAMPLE) {
        return start;
    }
    progress_begin(&bar, "searching", 30 + REFINE_ROUNDS, p->opt->quiet);
    p->remember = 1;
    if (!start) {
        start = room(p->opt->walkers, p->n_free);
        search(start, p);
    }
    if (phase == PHASE_CLIMB) {
        climb(start, p, s->head, &bar);
    }
    if (refined) {
        refine(start, p, s->head, &bar);
    }
    p->remember = 0;
    progress_end(&bar);
    return start;
}

/* Which proposals. */
static setup ensemble_moves(const problem *p) {
    static const bml_mcmc_move chosen[] = {
        {BML_MCMC_STRETCH, 1, 0, 0},
        {BML_MCMC_DE, 1, 0, 0},
        {BML_MCMC_MIXTURE, 1, 0, 0},
    };
    setup how = {0};
    if (p->opt->moves != MOVES_SURROGATE) {
        how.moves = &chosen[p->opt->moves - MOVES_STRETCH];
        how.n_moves = 1;
        return how;
    }
    const int screened = p->response.coef && p->archive_n;
    how.moves = screened ? screened_moves : plain_moves;
    how.n_moves = 3;
    return how;
}

/* While the ensemble runs: its bar, and a state every so often. */
typedef struct watch {
    const problem *p;
    bml_mcmc_ensemble *e;
    double *start;
    progress_bar bar;
    double kept; /* [s] when */
} watch;

static int watch_ensemble(const bml_mcmc_progress *now, void *user) {
    watch *w = user;
    char note[64];
    snprintf(note, sizeof note, "%.0f %% accepted", 100 * now->acceptance);
    progress_at(&w->bar, (double)now->step, note);
    if (seconds_now() > w->kept + state_every) {
        keep_ensemble(w->e, w->p, w->start);
        w->kept = seconds_now();
    }
    return stop_asked() != 0;
}

/* The state of an earlier leg into the sampler. */
static void ensemble_begin(bml_mcmc_ensemble *e, const problem *p, const state *s) {
    if (s->head.phase != PHASE_SAMPLE || !s->head.payload) {
        return;
    }
    const int status = bml_mcmc_ensemble_load(e, s->payload, (size_t)s->head.payload);
    must_load(status, p, bml_mcmc_ensemble_message(e));
}

/* Until the verdict is content, or the steps are used up. */
static void ensemble_run(bml_mcmc_verdict *v, watch *w) {
    const options *opt = w->p->opt;
    const uint64_t step = bml_mcmc_ensemble_get_info(w->e).step;
    const double left = (double)(opt->burn + opt->steps) - (double)step;
    bml_mcmc_goal goal = {0};
    goal.ess = fmax(opt->min_ess, 1);
    goal.steps = left >= 1 ? left : -1;
    goal.burn = (double)opt->burn;
    const int status = bml_mcmc_run_until(w->e, v, &goal);
    must_run(status, bml_mcmc_ensemble_message(w->e));
    keep_ensemble(w->e, w->p, w->start);
    if (status == BML_MCMC_CANCELLED) {
        stop_here(w->p);
    }
}

/* The comment at the top of fit_sed.c. */
static void sample_ensemble(posterior *post, problem *p) {
    state s = state_begin(p);
    watch w = {0};
    bml_mcmc_verdict v;
    const char *names[N_PAR];
    for (int i = 0; i < p->n_free; i++)
        names[i] = parameters[p->free_par[i]].name;
    w.p = p;
    w.start = find_start(p, &s, p->opt->moves == MOVES_SURROGATE);
    const long steps = p->opt->burn + p->opt->steps;
    progress_begin(&w.bar, "sampling", (double)steps, p->opt->quiet);
    setup how = ensemble_moves(p);
    how.names = names;
    how.progress = watch_ensemble;
    how.progress_user = &w;
    p->sampling = 1;
    w.e = ensemble(p, w.start, &how);
    ensemble_begin(w.e, p, &s);
    w.kept = seconds_now();
    ensemble_run(&v, &w);
    p->sampling = 0;
    progress_end(&w.bar);
    post->ensemble = w.e;
    post->burn = (long)v.burn;
    post->converged = stands(post, &v, p);
    post->chain = bml_mcmc_chain_drop(bml_mcmc_ensemble_chain(w.e), v.burn);
    must(bml_mcmc_summarize(post->summary, post->chain));
    post->log_z = (double)NAN;
    post->log_z_error = (double)NAN;
    post->markov = 1;
    state_free(&s);
    free(w.start);
}

/* One line instead of a bar: how far nested sampling has to go is not known beforehand. */
static int show_nested(const bml_mcmc_nested_progress *now, void *user) {
    problem *p = user;
    p->evaluations = now->evaluations;
    if (!p->opt->quiet && isatty(2)) {
        fprintf(stderr, "\rln Z %.2f +- %.2f, remaining %.2g, %.0f likelihoods, %.1f %% kept \033[K", now->log_z,
                now->log_z_error, now->remaining, (double)now->evaluations, 100 * now->efficiency);
    }
    return stop_asked() != 0;
}

/* ---- --reweigh ---- */

/* The solver's likelihood at all points of the network's nested run, and its posterior and evidence from them. The
   points lie all over the prior, densest where the network puts the peak: what it wrongly holds for hopeless shows as
   a few points that weigh too much. */
static void reweigh_nested(posterior *post, bml_mcmc_nested_result *r, problem *p) {
    const long calls = p->solver_calls;
    const double before = r->log_z;
    const double ess = r->ess;
    const double begin = seconds_now();
    const int n = (int)r->n_points;
    double heaviest = 0;
    double *ln_l = room(n, 1);
    p->solver_judges = 1;
    if (in_pieces(ln_l, r->theta, n, p, 0)) {
        stop_here(p);
    }
    const int status = bml_mcmc_nested_reweigh(post->nested, r, ln_l);
    if (status) {
        fail("fit_sed: %s", bml_mcmc_nested_message(post->nested));
    }
    for (int i = 0; i < n; i++)
        heaviest = fmax(heaviest, r->weight[i]);
    printf("weighed again by the solver, %ld calls, %.1f s: ", p->solver_calls - calls, seconds_now() - begin);
    printf("ln Z %.2f -> %.2f, effective samples %.0f -> %.0f, ", before, r->log_z, ess, r->ess);
    printf("the heaviest point %.2g %%\n", 100 * heaviest);
    free(ln_l);
    post->net_kept = r->ess / ess;
    post->net_fit = post->net_kept > 0.5;
}

/* Draws of the network's chain, and what the solver makes of them. */
typedef struct weighed {
    double *theta;  /* [n][n_free] */
    double *lp;     /* [n] ln posterior by the solver */
    double *weight; /* [n], their sum is 1 */
    int n;
    double ess;
    double heaviest;
} weighed;

enum { WEIGH_MAX = 6000 };

/* Weights from their logarithms, of sum 1, and what they say. */
static void weigh(weighed *w) {
    double *weight = w->weight;
    double top = -HUGE_VAL;
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < w->n; i++)
        top = fmax(top, weight[i]);
    for (int i = 0; i < w->n; i++) {
        weight[i] = exp(weight[i] - top);
        sum += weight[i];
    }
    for (int i = 0; i < w->n; i++) {
        weight[i] /= sum;
        squares += weight[i] * weight[i];
        w->heaviest = fmax(w->heaviest, weight[i]);
    }
    w->ess = 1 / squares;
}

/* Every so many-th draw of the chain, weighed by the ratio of the two posteriors. */
static weighed weigh_chain(bml_mcmc_chain chain, problem *p) {
    const long total = (long)chain.n_steps * chain.n_walkers;
    const int d = p->n_free;
    weighed w = {0};
    w.n = total < WEIGH_MAX ? (int)total : WEIGH_MAX;
    w.theta = room(w.n, d);
    w.lp = room(w.n, 1);
    w.weight = room(w.n, 1);
    for (int i = 0; i < w.n; i++) {
        const double place = (double)i * (double)total / w.n;
        const long at = (long)place;
        copy_doubles(w.theta + i * d, chain.theta + at * d, d);
        w.weight[i] = chain.log_prob[at];
    }
    if (in_pieces(w.lp, w.theta, w.n, p, 1)) {
        stop_here(p);
    }
    for (int i = 0; i < w.n; i++)
        w.weight[i] = w.lp[i] - w.weight[i];
    weigh(&w);
    return w;
}

/* Room for m draws of the posterior's own, which are its chain from now on; their ln p is to be written there. */
static double *own_chain(posterior *post, long m, int d) {
    double *own = room(m, d + 1);
    free(post->own);
    post->own = own;
    post->chain.theta = own;
    post->chain.log_prob = own + m * d;
    post->chain.n_steps = (size_t)m;
    post->chain.n_walkers = 1;
    post->chain.n_dim = d;
    return own + m * d;
}

/* m draws of equal weight by systematic resampling, as the posterior's own chain. */
static void take_weighed(posterior *post, const weighed *w, int m, const problem *p) {
    const int d = p->n_free;
    double *lp = own_chain(post, m, d);
    double reached = 0;
    int k = -1;
    for (int i = 0; i < m; i++) {
        while (k < w->n - 1 && reached < (i + 0.5) / m) {
            k++;
            reached += w->weight[k];
        }
        copy_doubles(post->own + i * d, w->theta + k * d, d);
        lp[i] = w->lp[k];
    }
}

/* How many draws stand for so many effective samples. */
static int draws_for(double ess) {
    return ess > 1000 ? (int)ess : 1000;
}

/* A Markov chain of the network becomes draws of the solver's posterior. Autocorrelation and R-hat stay the chain's;
   the effective samples shrink by what the weights keep. */
static void reweigh_chain(posterior *post, problem *p) {
    bml_mcmc_summary drawn[N_PAR];
    const long calls = p->solver_calls;
    const double begin = seconds_now();
    p->solver_judges = 1;
    weighed w = weigh_chain(post->chain, p);
    post->net_kept = w.ess / w.n;
    take_weighed(post, &w, draws_for(w.ess), p);
    must(bml_mcmc_summarize(drawn, post->chain));
    for (int k = 0; k < p->n_free; k++) {
        const bml_mcmc_summary of_chain = post->summary[k];
        post->summary[k] = drawn[k];
        post->summary[k].ess = post->net_kept * fmin(of_chain.ess, w.n);
        post->summary[k].rhat = of_chain.rhat;
        post->summary[k].tau = of_chain.tau;
    }
    post->net_fit = post->net_kept > 0.1 && w.heaviest < 0.05;
    printf("weighed again by the solver, %ld calls, %.1f s: ", p->solver_calls - calls, seconds_now() - begin);
    printf("%.0f %% of %d draws count, the heaviest %.2g %%\n", 100 * post->net_kept, w.n, 100 * w.heaviest);
    free(w.theta);
    free(w.lp);
    free(w.weight);
}

/* ---- nested sampling ---- */

static void keep_nested(bml_mcmc_nested *s, const problem *p) {
    const size_t size = bml_mcmc_nested_save_size(s);
    void *bytes = state_room(size);
    const int status = bml_mcmc_nested_save(s, bytes, size);
    state_keep(p, NULL, bytes, size, status);
}

static void nested_begin(bml_mcmc_nested *s, problem *p) {
    state before = state_begin(p);
    bml_mcmc_nested_result r;
    if (before.head.payload) {
        const int status = bml_mcmc_nested_load(s, before.payload, (size_t)before.head.payload);
        must_load(status, p, bml_mcmc_nested_message(s));
        if (!bml_mcmc_nested_get_result(s, &r)) {
            p->evaluations = r.evaluations;
        }
    }
    state_free(&before);
}

/* In pieces, so that the state can be kept between them. */
static int run_nested(bml_mcmc_nested *s, problem *p) {
    enum { PIECE = 20000 };
    const uint64_t most = (uint64_t)p->opt->calls;
    int status = BML_MCMC_NOT_CONVERGED;
    double kept = seconds_now();
    nested_begin(s, p);
    while (status == BML_MCMC_NOT_CONVERGED && (!most || p->evaluations < most)) {
        const uint64_t left = most - p->evaluations;
        status = bml_mcmc_nested_run(s, most && left < PIECE ? left : PIECE);
        if (status != BML_MCMC_NOT_CONVERGED || !(seconds_now() > kept + state_every)) {
            continue;
        }
        keep_nested(s, p);
        kept = seconds_now();
    }
    if (!status || status == BML_MCMC_NOT_CONVERGED || status == BML_MCMC_CANCELLED) {
        keep_nested(s, p);
    }
    if (status == BML_MCMC_CANCELLED) {
        stop_here(p);
    }
    return status;
}

/* What were likelihoods of the posterior's own draws are its densities now. */
static void add_prior(double *lp, const posterior *post, const problem *p) {
    const long n = (long)post->chain.n_steps;
    for (long i = 0; i < n; i++)
        lp[i] += bml_mcmc_prior_log_density(p->prior, post->own + i * p->n_free);
}

/* Equally weighted draws of the weighted points. */
static void draw_nested(posterior *post, const bml_mcmc_nested_result *r, const problem *p) {
    const int n = draws_for(r->ess);
    const uint64_t seed = p->opt->seed;
    double *lp = own_chain(post, n, p->n_free);
    const int status = bml_mcmc_nested_draw(post->nested, post->own, lp, (size_t)n, seed);
    if (status) {
        fail("fit_sed: %s", bml_mcmc_strerror(status));
    }
    add_prior(lp, post, p);
}

static int nested_stands(posterior *post, const problem *p) {
    bml_mcmc_verdict v;
    bml_mcmc_nested_verdict(&v, post->nested);
    if (v.check_ess >= 100) {
        printf("ln Z by fresh draws: %.2f +- %.2f\n", v.check_log_z, v.check_log_z_error);
    }
    return stands(post, &v, p);
}

static void sample_nested(posterior *post, problem *p) {
    const options *opt = p->opt;
    char why[BML_MCMC_MESSAGE] = "";
    const bml_mcmc_nested_config config = {.n_dim = p->n_free,
                                           .live_points = (int)opt->live,
                                           .sweeps = (int)opt->sweeps,
                                           .seed = opt->seed,
                                           .log_likelihood = log_likelihood,
                                           .prior = p->prior,
                                           .user = p,
                                           .error = opt->evidence_error,
                                           .min_ess = opt->min_ess,
                                           .progress = show_nested,
                                           .progress_user = p};
    int status = bml_mcmc_nested_create(&post->nested, &config, why);
    if (status) {
        fail("fit_sed: %s", why);
    }
    p->solver_judges = 0;
    p->sampling = 1;
    status = run_nested(post->nested, p);
    if (!opt->quiet && isatty(2)) {
        fprintf(stderr, "\r\033[K");
    }
    post->converged = nested_stands(post, p) && !status;
    post->unfinished = status != BML_MCMC_OK;
    p->sampling = 0;
    bml_mcmc_nested_result r;
    if ((status && status != BML_MCMC_NOT_CONVERGED) || bml_mcmc_nested_get_result(post->nested, &r)) {
        fail("fit_sed: %s %s", bml_mcmc_strerror(status), bml_mcmc_nested_message(post->nested));
    }
    if (opt->reweigh) {
        reweigh_nested(post, &r, p);
    }
    if (bml_mcmc_nested_summary(post->nested, post->summary)) {
        fail("fit_sed: out of memory");
    }
    post->log_z = r.log_z;
    post->log_z_error = r.log_z_error;
    draw_nested(post, &r, p);
}

/* ---- importance sampling from a learned density ---- */

/* One line instead of a bar, as above. */
static int show_importance(const bml_mcmc_importance_progress *now, void *user) {
    static const char *const stages[3] = {"exploring", "refining", "drawing"};
    problem *p = user;
    p->evaluations = now->evaluations;
    if (!p->opt->quiet && isatty(2)) {
        fprintf(stderr, "\r%s: power %.2g, ln Z %.2f, %.0f likelihoods \033[K", stages[now->stage], now->power,
                now->log_z, (double)now->evaluations);
    }
    return stop_asked() != 0;
}

static void keep_importance(bml_mcmc_importance *s, const problem *p) {
    const size_t size = bml_mcmc_importance_save_size(s);
    void *bytes = state_room(size);
    const int status = bml_mcmc_importance_save(s, bytes, size);
    state_keep(p, NULL, bytes, size, status);
}

static void importance_begin(bml_mcmc_importance *s, problem *p) {
    state before = state_begin(p);
    bml_mcmc_importance_result r;
    if (before.head.payload) {
        const int status = bml_mcmc_importance_load(s, before.payload, (size_t)before.head.payload);
        must_load(status, p, bml_mcmc_importance_message(s));
        if (!bml_mcmc_importance_get_result(s, &r)) {
            p->evaluations = r.evaluations;
        }
    }
    state_free(&before);
}

/* Round by round, so that the state can be kept between them; a round that asks for nothing is the last. */
static int run_importance(bml_mcmc_importance *s, problem *p) {
    const uint64_t most = (uint64_t)p->opt->calls;
    int status = BML_MCMC_NOT_CONVERGED;
    double kept = seconds_now();
    importance_begin(s, p);
    p->remember = 1; /* and not what the state was checked by */
    while (status == BML_MCMC_NOT_CONVERGED && (!most || p->evaluations < most)) {
        const guide_round before = guide_round_begin(p);
        const uint64_t asked = p->evaluations;
        status = bml_mcmc_importance_run(s, 1);
        if (status == BML_MCMC_CANCELLED) {
            guide_round_undo(p, before);
        }
        if (status == BML_MCMC_NOT_CONVERGED && asked == p->evaluations) {
            break;
        }
        if (status != BML_MCMC_NOT_CONVERGED || !(seconds_now() > kept + state_every)) {
            continue;
        }
        keep_importance(s, p);
        kept = seconds_now();
    }
    if (!status || status == BML_MCMC_NOT_CONVERGED || status == BML_MCMC_CANCELLED) {
        keep_importance(s, p);
    }
    if (status == BML_MCMC_CANCELLED) {
        stop_here(p);
    }
    return status;
}

/* The solver's likelihood at the network's draws. */
static void reweigh_importance(posterior *post, bml_mcmc_importance_result *r, problem *p) {
    const double ess = r->ess;
    const int n = (int)r->n_points;
    double *ln_l = room(n, 1);
    p->solver_judges = 1;
    if (in_pieces(ln_l, r->theta, n, p, 0)) {
        stop_here(p);
    }
    if (bml_mcmc_importance_reweigh(post->importance, r, ln_l)) {
        fail("fit_sed: %s", bml_mcmc_importance_message(post->importance));
    }
    free(ln_l);
    post->net_kept = r->ess / ess;
    post->net_fit = post->net_kept > 0.5;
}

static void draw_importance(posterior *post, const bml_mcmc_importance_result *r, const problem *p) {
    const int n = draws_for(r->ess);
    const uint64_t seed = p->opt->seed;
    double *lp = own_chain(post, n, p->n_free);
    const int status = bml_mcmc_importance_draw(post->importance, post->own, lp, (size_t)n, seed);
    if (status) {
        fail("fit_sed: %s", bml_mcmc_strerror(status));
    }
    add_prior(lp, post, p);
}

static int importance_stands(posterior *post, const problem *p) {
    bml_mcmc_verdict v;
    bml_mcmc_importance_verdict(&v, post->importance);
    return stands(post, &v, p);
}

static void sample_importance(posterior *post, problem *p) {
    const options *opt = p->opt;
    char why[BML_MCMC_MESSAGE] = "";
    const int guided = opt->guide && !(opt->equipartition > 0) && opt->neutrinos < 0; /* which fluxes know nothing of */
    const bml_mcmc_importance_config config = {.n_dim = p->n_free,
                                               .seed = opt->seed,
                                               .log_likelihood = log_likelihood,
                                               .prior = p->prior,
                                               .guide = guided ? guide_log_likelihood : NULL,
                                               .learn = guide_learn,
                                               .user = p,
                                               .error = opt->evidence_error,
                                               .min_ess = opt->min_ess,
                                               .progress = show_importance,
                                               .progress_user = p};
    if (bml_mcmc_importance_create(&post->importance, &config, why)) {
        fail("fit_sed: %s", why);
    }
    p->solver_judges = 0;
    p->sampling = 1;
    const int status = run_importance(post->importance, p);
    p->remember = 0;
    p->sampling = 0;
    if (!opt->quiet && isatty(2)) {
        fprintf(stderr, "\r\033[K");
    }
    bml_mcmc_importance_result r;
    snprintf(why, sizeof why, "%s", bml_mcmc_importance_message(post->importance)); /* the next call has its own */
    if (status && status != BML_MCMC_NOT_CONVERGED) {
        fail("fit_sed: %s: %s", bml_mcmc_strerror(status), why);
    }
    if (bml_mcmc_importance_get_result(post->importance, &r)) {
        fail("fit_sed: no result yet, while the sampler explores: %s; with more --calls --resume goes on", why);
    }
    post->converged = importance_stands(post, p) && !status;
    post->unfinished = status != BML_MCMC_OK;
    if (opt->reweigh) {
        reweigh_importance(post, &r, p);
    }
    if (bml_mcmc_importance_summary(post->importance, post->summary)) {
        fail("fit_sed: out of memory");
    }
    post->log_z = r.log_z;
    post->log_z_error = r.log_z_error;
    draw_importance(post, &r, p);
}

/* ---- NUTS takes log gamma_max as its share of what gamma_min and the blob leave: then no wall is in its way ---- */

typedef struct nuts_place { /* of gamma_max among the free parameters, -1: held */
    int index;
    double lo;
    double room;     /* log gamma_max = lo + share room */
    double confined; /* 1 where the blob sets the top, else 0 */
} nuts_place;

/* theta [n_free] from NUTS coordinates u [n_free]. */
static nuts_place nuts_theta(double *theta, const problem *p, const double *u) {
    nuts_place at = {-1, 0, 1, 0};
    double full[N_PAR];
    memcpy(theta, u, (size_t)p->n_free * sizeof *theta);
    expand(full, p, u);
    for (int i = 0; i < p->n_free; i++)
        if (p->free_par[i] == GAMMA_MAX) {
            at.index = i;
        }
    if (at.index < 0) {
        return at;
    }
    at.lo = full[GAMMA_MIN] + gamma_span;
    at.room = gamma_top(full) - at.lo;
    at.confined = ssc_row_confined(full) < parameters[GAMMA_MAX].hi;
    theta[at.index] = at.lo + u[at.index] * at.room;
    return at;
}

static void nuts_inverse(double *u, const problem *p, const double *theta) {
    double unused[N_PAR];
    memcpy(u, theta, (size_t)p->n_free * sizeof *u);
    const nuts_place at = nuts_theta(unused, p, theta);
    if (at.index < 0) {
        return;
    }
    const double share = (theta[at.index] - at.lo) / at.room;
    u[at.index] = fmin(fmax(share, 1e-6), 1 - 1e-6);
}

/* d(ln prior)/d(theta) by differences; nothing to do for the flat prior. */
static void prior_slope(double *d_theta, const problem *p, const double *theta) {
    double at[N_PAR];
    const double h = 1e-5;
    memset(d_theta, 0, (size_t)p->n_free * sizeof *d_theta);
    if (!p->opt->prior) {
        return;
    }
    copy_doubles(at, theta, p->n_free);
    for (int k = 0; k < p->n_free; k++) {
        at[k] = theta[k] - h;
        const double below = bml_mcmc_prior_log_density(p->prior, at);
        at[k] = theta[k] + h;
        const double above = bml_mcmc_prior_log_density(p->prior, at);
        at[k] = theta[k];
        const int inside = below > -HUGE_VAL && above > -HUGE_VAL;
        if (inside) {
            d_theta[k] = (above - below) / (2 * h);
        }
    }
}

/* The gradient g [n_free] of ln posterior by theta becomes that by u, the Jacobian's own slope with it. */
static void nuts_gradient(double *g, const problem *p, const nuts_place *at, const double *u) {
    if (at->index < 0) {
        return;
    }
    const double share = u[at->index];
    const double by_max = g[at->index];
    const double by_bottom = by_max * (1 - share) - 1 / at->room;
    const double by_top = at->confined * (by_max * share + 1 / at->room);
    g[at->index] = by_max * at->room;
    for (int k = 0; k < p->n_free; k++) {
        const int par = p->free_par[k];
        if (par == GAMMA_MIN) {
            g[k] += by_bottom;
        }
        if (par == R || par == B) {
            g[k] += by_top;
        }
    }
}

/* nuts_log_prob of a block of at most NET_ROWS points, the first of which is number `from` of all. */
static void nuts_block(double *lp, double *gradient, const double *u, int from, int count, problem *p) {
    const int d = p->n_free;
    double full[NET_ROWS * N_PAR];
    double d_full[NET_ROWS * N_PAR];
    double theta[NET_ROWS][N_PAR];
    nuts_place at[NET_ROWS];
    for (int i = 0; i < count; i++) {
        at[i] = nuts_theta(theta[i], p, u + i * d);
        expand(full + i * N_PAR, p, theta[i]);
    }
    memset(d_full, 0, sizeof d_full);
    net_desk *own = &p->desk[thread_number()];
    net_block(lp, d_full, p->dex + from * p->sed.n, full, count, p, own);
    for (int i = 0; i < count; i++) {
        double *g = gradient + i * d;
        const double room = at[i].room;
        const double jacobian = room > 0 ? log(room) : -HUGE_VAL;
        lp[i] += bml_mcmc_prior_log_density(p->prior, theta[i]) + jacobian;
        const int possible = lp[i] > -HUGE_VAL;
        if (!possible) {
            lp[i] = -HUGE_VAL;
        }
        prior_slope(g, p, theta[i]);
        for (int k = 0; k < d; k++)
            g[k] += d_full[i * N_PAR + p->free_par[k]];
        nuts_gradient(g, p, &at[i], u + i * d);
    }
}

/* ln posterior density in NUTS coordinates u [n][n_dim], with the Jacobian `room`, and its gradient. */
static void nuts_log_prob(double *lp, double *gradient, const double *u, int n, int d, void *user) {
    problem *p = user;
    const int block = net_block_rows(p, n);
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(p->threads) if (n > block)
#endif
    for (int from = 0; from < n; from += block) {
        const int count = n - from < block ? n - from : block;
        nuts_block(lp + from, gradient + from * d, u + from * d, from, count, p);
    }
    count_calls(p, n);
}

static int show_nuts(const bml_mcmc_nuts_progress *now, void *user) {
    char note[64];
    snprintf(note, sizeof note, "%.0f gradients", (double)now->gradients);
    progress_at(user, (double)now->draws, note);
    return stop_asked() != 0;
}

enum { CHAINS = 16, NUTS_WARMUP = 400, NUTS_BLOCK = 200 };

static void keep_nuts(bml_mcmc_nuts *s, const problem *p, double *start) {
    const size_t size = bml_mcmc_nuts_save_size(s);
    void *bytes = state_room(size);
    const int status = bml_mcmc_nuts_save(s, bytes, size);
    state_keep(p, start, bytes, size, status);
}

static int nuts_status(bml_mcmc_nuts *s, posterior *post, const problem *p) {
    if (bml_mcmc_nuts_chain(s).n_steps == 0) {
        return BML_MCMC_NOT_CONVERGED;
    }
    const int status = bml_mcmc_summarize(post->summary, bml_mcmc_nuts_chain(s));
    must(status);
    return status || has_ess(post->summary, p) ? status : BML_MCMC_NOT_CONVERGED;
}

/* Runs until 50 autocorrelation times and min_ess, or --draws of each chain. */
static int nuts_run(bml_mcmc_nuts *s, posterior *post, const problem *p, const state *before, double *start) {
    double kept = seconds_now();
    if (before->head.phase == PHASE_SAMPLE && before->head.payload) {
        const int bad = bml_mcmc_nuts_load(s, before->payload, (size_t)before->head.payload);
        must_load(bad, p, bml_mcmc_nuts_message(s));
    }
    int status = nuts_status(s, post, p);
    while (status) {
        const long done = (long)bml_mcmc_nuts_chain(s).n_steps;
        if (done >= p->opt->draws) {
            break;
        }
        const long block_end = (done / NUTS_BLOCK + 1) * NUTS_BLOCK;
        const long next = block_end < p->opt->draws ? block_end : p->opt->draws;
        status = bml_mcmc_nuts_run(s, (size_t)(next - done));
        must_run(status, bml_mcmc_nuts_message(s));
        if (status || seconds_now() > kept + state_every) {
            keep_nuts(s, p, start);
            kept = seconds_now();
        }
        if (status) {
            stop_here(p);
        }
        status = nuts_status(s, post, p);
    }
    keep_nuts(s, p, start);
    return status;
}

/* The chain of NUTS coordinates as a chain of theta, with its ln posterior and summary. */
static int nuts_take(posterior *post, bml_mcmc_chain u, problem *p) {
    enum { PIECE = 65536 };
    const int d = p->n_free;
    const long n = (long)u.n_steps * u.n_walkers;
    double *lp = own_chain(post, n, d);
    for (long i = 0; i < n; i++)
        nuts_theta(post->own + i * d, p, u.theta + i * d);
    for (long from = 0; from < n; from += PIECE) {
        const long count = n - from < PIECE ? n - from : PIECE;
        log_prob(lp + from, post->own + from * d, (int)count, d, p);
    }
    post->chain.n_steps = u.n_steps;
    post->chain.n_walkers = u.n_walkers;
    return bml_mcmc_summarize(post->summary, post->chain);
}

/* Where the chains start, in NUTS coordinates: at walkers of a short climb; and the walls. */
static void nuts_places(double *u, double *lower, double *upper, const problem *p, const double *start) {
    const int d = p->n_free;
    bml_mcmc_prior_limits(lower, upper, p->prior);
    for (int k = 0; k < d; k++) {
        if (p->free_par[k] != GAMMA_MAX) {
            continue;
        }
        lower[k] = 0;
        upper[k] = 1;
    }
    for (long i = 0; i < CHAINS; i++) {
        const long walker = i * p->opt->walkers / CHAINS;
        nuts_inverse(u + i * d, p, start + walker * d);
    }
}

static bml_mcmc_nuts *nuts_make(problem *p, const double *start, progress_bar *bar) {
    double u[CHAINS * N_PAR];
    double lower[N_PAR];
    double upper[N_PAR];
    char why[BML_MCMC_MESSAGE] = "";
    bml_mcmc_nuts *s;
    nuts_places(u, lower, upper, p, start);
    const bml_mcmc_nuts_config config = {.n_dim = p->n_free,
                                         .n_chains = CHAINS,
                                         .seed = p->opt->seed,
                                         .log_prob = nuts_log_prob,
                                         .user = p,
                                         .lower = lower,
                                         .upper = upper,
                                         .metric = BML_MCMC_DENSE,
                                         .warmup = NUTS_WARMUP,
                                         .max_depth = 9,
                                         .gradient_tolerance = 2e-2,
                                         .progress = show_nuts,
                                         .progress_user = bar};
    if (bml_mcmc_nuts_create(&s, &config, why)) {
        fail("fit_sed: %s", why);
    }
    const int status = bml_mcmc_nuts_start(s, u);
    if (status) {
        fail("fit_sed: %s: %s", bml_mcmc_strerror(status), bml_mcmc_nuts_message(s));
    }
    return s;
}

static void sample_nuts(posterior *post, problem *p) {
    progress_bar bar;
    state before = state_begin(p);
    double *start = find_start(p, &before, 0);
    const long draws = NUTS_WARMUP + p->opt->draws;
    progress_begin(&bar, "sampling", (double)CHAINS * (double)draws, p->opt->quiet);
    p->sampling = 1;
    bml_mcmc_nuts *s = nuts_make(p, start, &bar);
    post->converged = !nuts_run(s, post, p, &before, start);
    bml_mcmc_verdict v;
    bml_mcmc_nuts_verdict(&v, s);
    post->converged &= stands(post, &v, p);
    p->sampling = 0;
    progress_end(&bar);
    const bml_mcmc_nuts_info info = bml_mcmc_nuts_get_info(s);
    printf("NUTS: %.0f gradients, %.0f a draw; ", (double)info.gradients, info.mean_tree);
    printf("%.0f of %.0f draws diverged, ", (double)info.divergences, (double)info.draws * CHAINS);
    printf("%.0f met a wall, %.0f were cut short\n", (double)info.walls, (double)info.max_depth_hits);
    post->converged &= !nuts_take(post, bml_mcmc_nuts_chain(s), p);
    post->log_z = (double)NAN;
    post->log_z_error = (double)NAN;
    post->markov = 1;
    bml_mcmc_nuts_free(s);
    state_free(&before);
    free(start);
}

static void (*const samplers[])(posterior *, problem *) = {sample_ensemble, sample_nested, sample_nuts,
                                                           sample_importance};

/* By the sampler that was asked for; a network's draws are weighed by the solver. */
static void sample_posterior(posterior *post, problem *p) {
    post->net_fit = 1;
    post->net_kept = (double)NAN;
    samplers[p->opt->sampler](post, p);
    post->steps = (long)post->chain.n_steps;
    post->chains = post->chain.n_walkers;
    if (p->opt->reweigh && post->markov) {
        reweigh_chain(post, p);
    }
}

static void posterior_free(posterior *post) {
    bml_mcmc_ensemble_free(post->ensemble);
    bml_mcmc_nested_free(post->nested);
    bml_mcmc_importance_free(post->importance);
    free(post->own);
}
#endif
