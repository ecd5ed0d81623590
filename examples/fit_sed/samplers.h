/* samplers.h: how fit_sed samples a problem of model.h: ensemble, nested sampling, NUTS. Each fills a
   `posterior`; the table `samplers` at the end lists them. Public domain or MIT, see LICENSE. */
#ifndef FIT_SED_SAMPLERS_H
#define FIT_SED_SAMPLERS_H
#include "model.h"

/* ==== interruptions: DIR/state.bin ================================================================================
   A run that ends before it has converged, by a signal too, leaves the sampler's state; --resume goes on from it, to
   the same numbers as a run that was never interrupted. */

static const double state_every = 60; /* [s] and as often while it runs, in case it is killed */
static volatile sig_atomic_t interrupted;

static void interrupt(int number) {
    interrupted = 1;
    signal(number, SIG_DFL); /* the second time it is meant */
}

static void *state_room(size_t size) {
    void *bytes = malloc(size);
    if (!bytes) fail("fit_sed: out of memory");
    return bytes;
}

/* Writes and frees what a sampler's save gave. */
static void state_write(const problem *p, void *bytes, size_t size, int status) {
    char err[ERROR_SIZE];
    if (status == BML_MCMC_NOT_STARTED) fail("fit_sed: interrupted before there was anything to keep");
    if (status) fail("fit_sed: %s", bml_mcmc_strerror(status));
    out_file o;
    if (out_begin(&o, p->opt->out, "state.bin", err)) fail("%s", err);
    fwrite(bytes, 1, size, o.f);
    if (out_commit(&o, err)) fail("%s", err);
    free(bytes);
}

static void *state_read(size_t *size, const problem *p) {
    char path[PATH_SIZE + 16];
    char err[ERROR_SIZE];
    snprintf(path, sizeof path, "%s/state.bin", p->opt->out);
    void *bytes;
    if (!(bytes = file_read(size, path, err))) fail("%s", err);
    return bytes;
}

/* Frees what state_read gave, once a sampler's load has answered. */
static void state_taken(const problem *p, void *bytes, int status, const char *message) {
    free(bytes);
    if (status) fail("%s/state.bin: %s: %s", p->opt->out, bml_mcmc_strerror(status), message);
}

static void state_remove(const problem *p) {
    char path[PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/state.bin", p->opt->out);
    remove(path);
}

static void stop_here(const problem *p) {
    fail("fit_sed: interrupted; the state is in %s/state.bin: the same command with --resume goes on", p->opt->out);
}

/* ==== search and climb ============================================================================================ */

/* The best of many draws from the prior, as start positions [walkers][n_free]. ln f starts at ln 0.5: a wide error
   finds the right neighbourhood first. */
static void search(double *start, problem *p) {
    enum { DRAWS = 4096 };
    int d = p->n_free;
    int W = (int)p->opt->walkers;
    int n = DRAWS > 8 * W ? DRAWS : 8 * W;
    double *theta = malloc((size_t)n * (size_t)d * sizeof *theta);
    double *lp = malloc((size_t)n * sizeof *lp);
    double cube[N_PAR];
    if (!theta || !lp) fail("fit_sed: out of memory");
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, p->opt->seed, 0);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < d; k++)
            cube[k] = bml_mcmc_rng_uniform(&rng);
        if (bml_mcmc_prior_transform(p->prior, theta + i * d, cube)) fail("fit_sed: the prior leaves no room");
        if (p->n_model < d) { /* unless the prior will not have it */
            double drawn = theta[i * d + d - 1];
            theta[i * d + d - 1] = log(0.5) + 0.1 * bml_mcmc_rng_normal(&rng);
            if (!(bml_mcmc_prior_log_density(p->prior, theta + i * d) > -HUGE_VAL)) theta[i * d + d - 1] = drawn;
        }
    }
    log_prob(lp, theta, n, d, p);
    for (int w = 0; w < W; w++) {
        int best = 0;
        for (int i = 1; i < n; i++)
            if (lp[i] > lp[best]) best = i;
        if (!(lp[best] > -HUGE_VAL)) fail("fit_sed: no point of the prior gives a spectrum that reaches the data");
        memcpy(start + w * d, theta + best * d, (size_t)d * sizeof *theta);
        lp[best] = -HUGE_VAL;
    }
    free(theta);
    free(lp);
}

/* Fit the polynomial to what was learned near the best points; 0 when that worked. */
static int learn(problem *p) {
    memory *m = &p->learned;
    long kept = 0;
    for (long i = 0; i < m->n; i++) { /* points that have fallen behind are dropped for good */
        if (!(m->ln_p[i] > m->best - learn_from)) continue;
        memmove(m->theta + kept * p->n_model, m->theta + i * p->n_model, (size_t)p->n_model * sizeof(double));
        memmove(m->dex + kept * p->sed.n, m->dex + i * p->sed.n, (size_t)p->sed.n * sizeof(double));
        m->ln_p[kept++] = m->ln_p[i];
    }
    m->n = kept;
    response_free(&p->response);
    return response_fit(&p->response, m->theta, m->dex, kept, p->n_model, p->sed.n, 4);
}

/* Walkers far below the best start again between three good ones. Returns how many were moved. */
static int leave_stuck(double *theta, const bml_mcmc_ensemble_info *info, problem *p, bml_mcmc_rng *rng) {
    int W = info->n_walkers;
    int d = info->n_dim;
    int n_good = 0;
    int n_bad = 0;
    int *good = malloc(2 * (size_t)W * sizeof *good);
    double best = -HUGE_VAL;
    double *trial = malloc((size_t)W * (size_t)d * sizeof *trial);
    double *lp = malloc((size_t)W * sizeof *lp);
    if (!good || !trial || !lp) fail("fit_sed: out of memory");
    int *bad = good + W;
    memcpy(theta, info->theta, (size_t)W * (size_t)d * sizeof *theta);
    for (int w = 0; w < W; w++)
        best = fmax(best, info->log_prob[w]);
    for (int w = 0; w < W; w++)
        *(info->log_prob[w] > best - bad_by ? &good[n_good++] : &bad[n_bad++]) = w;
    int moved = n_bad;
    if (n_good == 0) n_bad = 0; /* ln p so large that its digits end above 15: nothing to tell them apart */
    for (int attempt = 0; attempt < 30 && n_bad > 0; attempt++) {
        int left = 0;
        for (int i = 0; i < n_bad; i++) {
            const double *c[3];
            for (int j = 0; j < 3; j++)
                c[j] = info->theta + good[(int)(bml_mcmc_rng_uniform(rng) * n_good)] * d;
            for (int k = 0; k < d; k++)
                trial[i * d + k] = c[0][k] + 0.3 * (c[1][k] - c[2][k]) + 1e-4 * bml_mcmc_rng_normal(rng);
        }
        log_prob(lp, trial, n_bad, d, p);
        for (int i = 0; i < n_bad; i++) {
            if (lp[i] > best - bad_by)
                memcpy(theta + bad[i] * d, trial + i * d, (size_t)d * sizeof *theta);
            else
                bad[left++] = bad[i];
        }
        n_bad = left;
    }
    free(good);
    free(trial);
    free(lp);
    return moved;
}

typedef struct setup { /* of an ensemble, beside what the problem says */
    const bml_mcmc_move *moves;
    int n_moves, thin, only_response;
    uint64_t seed; /* added to the user's */
    progress_bar *bar;
} setup;

static int show_progress(const bml_mcmc_progress *now, void *user) {
    char note[64];
    snprintf(note, sizeof note, "%.0f %% accepted", 100 * now->acceptance);
    progress_at(user, (double)now->step, note);
    return interrupted;
}

static bml_mcmc_ensemble *ensemble(problem *p, const double *start, const setup *s) {
    bml_mcmc_config config = {.n_dim = p->n_free,
                              .n_walkers = (int)p->opt->walkers,
                              .seed = p->opt->seed + s->seed,
                              .log_prob = s->only_response ? log_prob_response : log_prob,
                              .surrogate = p->response.coef ? log_prob_response : NULL,
                              .user = p,
                              .reference = p->archive_n ? p->archive : NULL,
                              .n_reference = p->archive_n,
                              .moves = s->moves,
                              .n_moves = s->n_moves,
                              .thin = s->thin,
                              .progress = s->bar ? show_progress : NULL,
                              .progress_user = s->bar};
    bml_mcmc_ensemble *e;
    char why[BML_MCMC_MESSAGE];
    int status = bml_mcmc_ensemble_create(&e, &config, why);
    if (!status) status = bml_mcmc_start_given(e, start);
    if (status) fail("fit_sed: %s: %s", bml_mcmc_strerror(status), e ? bml_mcmc_ensemble_message(e) : why);
    return e;
}

static void run(bml_mcmc_ensemble *e, long steps) {
    int status = bml_mcmc_run(e, (size_t)steps);
    if (status) fail("fit_sed: %s: %s", bml_mcmc_strerror(status), bml_mcmc_ensemble_message(e));
}

/* Stages and their proposals. */
enum { ARCHIVE = 8000, CHECKS = 1500, REFINE_ROUNDS = 10, REFINE_STEPS = 30 };
static const bml_mcmc_move plain_moves[] = {
    {BML_MCMC_STRETCH, 1, 0, 0}, {BML_MCMC_DE, 1, 0, 0}, {BML_MCMC_SNOOKER, 0.2, 0, 0}};
static const bml_mcmc_move explore_moves[] = {
    {BML_MCMC_STRETCH, 1, 0, 0}, {BML_MCMC_DE, 1, 0, 0}, {BML_MCMC_MIXTURE, 1, 0, 0}};
static const bml_mcmc_move screened_moves[] = {
    {BML_MCMC_SURROGATE, 0.6, 0, 60}, {BML_MCMC_STRETCH, 0.3, 0, 0}, {BML_MCMC_DE, 0.1, 0, 0}};

/* Climb with plain moves until the best point stands still, leaving stuck walkers behind. start
   [walkers][n_free] in and out. */
static void climb(double *start, problem *p, progress_bar *bar) {
    enum { ROUNDS = 30 };
    bml_mcmc_rng rng;
    double best = -HUGE_VAL;
    bml_mcmc_rng_init(&rng, p->opt->seed, 1);
    for (int round = 0, still = 0; round < ROUNDS && still < 3; round++) {
        bml_mcmc_ensemble *e =
            ensemble(p, start, &(setup){.moves = plain_moves, .n_moves = 3, .seed = 1000 + (uint64_t)round});
        double top = -HUGE_VAL;
        run(e, 40);
        bml_mcmc_ensemble_info info = bml_mcmc_ensemble_get_info(e);
        for (int w = 0; w < info.n_walkers; w++)
            top = fmax(top, info.log_prob[w]);
        int stuck = leave_stuck(start, &info, p, &rng);
        bml_mcmc_ensemble_free(e);
        still = top < best + 0.5 && stuck == 0 ? still + 1 : 0;
        best = fmax(best, top);
        progress_at(bar, round + 1, "climbing");
    }
}

/* A sample of the polynomial's posterior, ARCHIVE points [.][n_free] in p->archive, started from start and helped by
   the archive before it. */
static void explore(const double *start, problem *p, uint64_t seed) {
    int W = (int)p->opt->walkers;
    int d = p->n_free;
    long thin = 10;
    long keep = ARCHIVE / W + 1;
    setup s = {
        .moves = explore_moves, .n_moves = p->archive_n ? 3 : 2, .seed = seed, .only_response = 1, .thin = (int)thin};
    bml_mcmc_ensemble *e = ensemble(p, start, &s);
    run(e, 2 * keep * thin); /* its first half is burn-in */
    bml_mcmc_chain chain = bml_mcmc_chain_drop(bml_mcmc_ensemble_chain(e), (size_t)keep);
    p->archive_n = (int)chain.n_steps * W;
    p->archive = realloc(p->archive, (size_t)p->archive_n * (size_t)d * sizeof(double));
    if (!p->archive) fail("fit_sed: out of memory");
    memcpy(p->archive, chain.theta, (size_t)p->archive_n * (size_t)d * sizeof(double));
    bml_mcmc_ensemble_free(e);
}

/* Ask the solver at CHECKS points of the archive and keep all its answers, to learn from. New start positions are
   drawn from these points by the ratio of exact to approximate density. */
static void check_archive(double *start, problem *p, bml_mcmc_rng *rng) {
    int d = p->n_free;
    int W = (int)p->opt->walkers;
    int n = p->archive_n < CHECKS ? p->archive_n : CHECKS;
    double *theta = malloc((size_t)n * (size_t)d * sizeof *theta);
    double *lp = malloc(2 * (size_t)n * sizeof *lp);
    double *ratio = lp + n;
    double top = -HUGE_VAL;
    if (!theta || !lp) fail("fit_sed: out of memory");
    for (int i = 0; i < n; i++)
        memcpy(theta + i * d, p->archive + (long)i * p->archive_n / n * d, (size_t)d * sizeof *theta);
    log_prob_response(ratio, theta, n, d, p);
    p->pin = 1;
    log_prob(lp, theta, n, d, p);
    p->pin = 0;
    for (int i = 0; i < n; i++)
        top = fmax(top, ratio[i] = lp[i] - ratio[i]);
    for (int i = 0; i < n; i++)
        ratio[i] = exp(ratio[i] - top);
    for (int w = 0; w < W; w++) { /* no point twice, though a walker that stood still left it twice in the archive */
        size_t bytes = (size_t)d * sizeof *theta;
        double left = 0;
        int i;
        for (i = 0; i < n; i++)
            left += ratio[i];
        if (!(left > 0)) break;
        double u;
        for (i = 0, u = bml_mcmc_rng_uniform(rng) * left; i < n - 1 && (u -= ratio[i]) > 0; i++)
            continue;
        memcpy(start + w * d, theta + i * d, bytes);
        for (i = 0; i < n; i++)
            if (!memcmp(theta + i * d, start + w * d, bytes)) ratio[i] = 0;
    }
    free(theta);
    free(lp);
}

/* Rounds of learning, exploring and checking. A polynomial that is too low somewhere hides that place from its own
   posterior, so every other round explores with a warmer likelihood, and every round ends with exact steps from where
   the check found it too low. */
static void refine(double *start, problem *p, progress_bar *bar) {
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, p->opt->seed, 2);
    for (int round = 0; round < REFINE_ROUNDS; round++) {
        setup s = {.moves = screened_moves, .n_moves = 3, .seed = 3000 + (uint64_t)round};
        if (learn(p)) return; /* too few points: plain moves it is */
        p->warmth = round % 2 ? 1 : 2;
        explore(start, p, 2000 + (uint64_t)round);
        check_archive(start, p, &rng);
        bml_mcmc_ensemble *e = ensemble(p, start, &s);
        run(e, REFINE_STEPS);
        memcpy(start, bml_mcmc_ensemble_get_info(e).theta, (size_t)p->opt->walkers * (size_t)p->n_free * sizeof *start);
        bml_mcmc_ensemble_free(e);
        progress_at(bar, 30 + 1 + round, "learning");
        p->warmth = 1;
    }
    if (!learn(p)) explore(start, p, 2000 + REFINE_ROUNDS);
}

/* ==== sample ====================================================================================================== */

/* What a sampler leaves behind. */
typedef struct posterior {
    bml_mcmc_chain chain; /* of the free parameters; theta and log_prob are owned by the sampler, or by `own` */
    bml_mcmc_summary summary[N_PAR];
    double log_z, log_z_error;   /* NaN without nested sampling */
    long calls;                  /* of the solver, while sampling */
    int converged, markov;       /* markov: the chain has a tau */
    bml_mcmc_ensemble *ensemble; /* or */
    bml_mcmc_nested *nested;
    double *own;
} posterior;

static void keep_ensemble(bml_mcmc_ensemble *e, const problem *p) {
    const size_t size = bml_mcmc_ensemble_save_size(e);
    void *bytes = state_room(size);
    state_write(p, bytes, size, bml_mcmc_ensemble_save(e, bytes, size));
}

/* Steps up to the next check: where, so far, at least 100 and a quarter have been added. */
static long next_check(long done) {
    long at = 100;
    while (at <= done)
        at += at / 4 > 100 ? at / 4 : 100;
    return at;
}

/* Runs until 50 autocorrelation times and min_ess, or the given steps. Returns the sampler's verdict. */
static int sample(bml_mcmc_ensemble *e, bml_mcmc_summary *s, const problem *p) {
    int status = BML_MCMC_NOT_CONVERGED;
    double kept = seconds_now();
    if (p->opt->resume) {
        size_t size;
        void *bytes = state_read(&size, p);
        state_taken(p, bytes, bml_mcmc_ensemble_load(e, bytes, size), bml_mcmc_ensemble_message(e));
    } else {
        run(e, p->opt->burn);
        bml_mcmc_ensemble_clear(e);
    }
    for (long done; (done = (long)bml_mcmc_ensemble_chain(e).n_steps) < p->opt->steps && status;) {
        const long next = next_check(done) < p->opt->steps ? next_check(done) : p->opt->steps;
        const int ran = bml_mcmc_run(e, (size_t)(next - done));
        if (ran && ran != BML_MCMC_CANCELLED)
            fail("fit_sed: %s: %s", bml_mcmc_strerror(ran), bml_mcmc_ensemble_message(e));
        if (ran || seconds_now() > kept + state_every) {
            keep_ensemble(e, p);
            kept = seconds_now();
        }
        if (ran) stop_here(p);
        status = bml_mcmc_summarize(s, bml_mcmc_ensemble_chain(e));
        if (status && status != BML_MCMC_NOT_CONVERGED) fail("fit_sed: %s", bml_mcmc_strerror(status));
        for (int k = 0; k < p->n_free; k++)
            if (!(s[k].ess >= p->opt->min_ess)) status = BML_MCMC_NOT_CONVERGED;
    }
    if (status) keep_ensemble(e, p);
    return status;
}

/* Search, climb, refine, sample: the comment at the top of the file. */
static void sample_ensemble(posterior *post, problem *p) {
    const bml_mcmc_move chosen[] = {{BML_MCMC_STRETCH, 1, 0, 0}, {BML_MCMC_DE, 1, 0, 0}, {BML_MCMC_MIXTURE, 1, 0, 0}};
    const options *opt = p->opt;
    double *start = malloc((size_t)opt->walkers * (size_t)p->n_free * sizeof *start);
    if (!start) fail("fit_sed: out of memory");
    progress_bar bar;
    progress_begin(&bar, "searching", 30 + REFINE_ROUNDS, opt->quiet);
    p->remember = 1;
    search(start, p);
    climb(start, p, &bar);
    if (opt->moves == MOVES_SURROGATE) refine(start, p, &bar);
    p->remember = 0;
    progress_end(&bar);

    progress_begin(&bar, "sampling", (double)(opt->burn + opt->steps), opt->quiet);
    post->calls = -p->calls;
    setup how;
    if (opt->moves != MOVES_SURROGATE)
        how = (setup){.moves = &chosen[opt->moves - MOVES_STRETCH], .n_moves = 1, .bar = &bar};
    else if (p->response.coef && p->archive_n)
        how = (setup){.moves = screened_moves, .n_moves = 3, .bar = &bar};
    else
        how = (setup){.moves = plain_moves, .n_moves = 3, .bar = &bar};
    post->ensemble = ensemble(p, start, &how);
    post->converged = !sample(post->ensemble, post->summary, p);
    post->calls += p->calls;
    post->chain = bml_mcmc_ensemble_chain(post->ensemble);
    post->log_z = post->log_z_error = (double)NAN;
    post->markov = 1;
    progress_end(&bar);
    free(start);
}

/* One line instead of a bar: how far nested sampling has to go is not known beforehand. */
static int show_nested(const bml_mcmc_nested_progress *now, void *user) {
    problem *p = user;
    p->evaluations = now->evaluations;
    if (!p->opt->quiet && isatty(2))
        fprintf(stderr, "\rln Z %.2f +- %.2f, remaining %.2g, %.0f solver calls, %.1f %% kept \033[K", now->log_z,
                now->log_z_error, now->remaining, (double)now->evaluations, 100 * now->efficiency);
    return interrupted;
}

/* --reweigh: the solver's likelihood at all points of the network's run, and its posterior and evidence from them. The
   points lie all over the prior, densest where the network puts the peak: what it wrongly holds for hopeless shows as a
   few points that weigh too much. */
static void reweigh(posterior *post, bml_mcmc_nested_result *r, problem *p) {
    const long network_calls = p->calls;
    const double before = r->log_z;
    const double ess = r->ess;
    double *ln_l = malloc(r->n_points * sizeof *ln_l);
    double begin = seconds_now();
    double heaviest = 0;
    if (!ln_l) fail("fit_sed: out of memory");
    p->solver_judges = 1;
    for (size_t from = 0; from < r->n_points; from += 65536) {
        const size_t count = r->n_points - from < 65536 ? r->n_points - from : 65536;
        log_likelihood(ln_l + from, r->theta + from * (size_t)p->n_free, (int)count, p->n_free, p);
    }
    if (bml_mcmc_nested_reweigh(post->nested, r, ln_l)) fail("fit_sed: %s", bml_mcmc_nested_message(post->nested));
    for (size_t i = 0; i < r->n_points; i++)
        heaviest = fmax(heaviest, r->weight[i]);
    printf("weighed again by the solver, %ld calls, %.1f s: ln Z %.2f -> %.2f, effective samples %.0f -> %.0f, the "
           "heaviest point %.2g %%\n",
           p->calls - network_calls, seconds_now() - begin, before, r->log_z, ess, r->ess, 100 * heaviest);
    p->calls = network_calls;
    free(ln_l);
    if (2 * r->ess > ess) return;
    post->converged = 0;
    printf("the network is NOT good enough where the heaviest points are: take more --live points, the solver (no "
           "--model),\nor a network trained longer\n");
}

static void keep_nested(bml_mcmc_nested *s, const problem *p) {
    const size_t size = bml_mcmc_nested_save_size(s);
    void *bytes = state_room(size);
    state_write(p, bytes, size, bml_mcmc_nested_save(s, bytes, size));
}

/* In pieces, so that the state can be kept between them. */
static int run_nested(bml_mcmc_nested *s, problem *p) {
    enum { PIECE = 20000 };
    const uint64_t most = (uint64_t)p->opt->calls;
    int status = BML_MCMC_NOT_CONVERGED;
    double kept = seconds_now();
    if (p->opt->resume) {
        size_t size;
        void *bytes = state_read(&size, p);
        state_taken(p, bytes, bml_mcmc_nested_load(s, bytes, size), bml_mcmc_nested_message(s));
        bml_mcmc_nested_result r;
        if (!bml_mcmc_nested_get_result(s, &r)) p->evaluations = r.evaluations;
    }
    while (status == BML_MCMC_NOT_CONVERGED && (!most || p->evaluations < most)) {
        status = bml_mcmc_nested_run(s, most && most - p->evaluations < PIECE ? most - p->evaluations : PIECE);
        if (status == BML_MCMC_NOT_CONVERGED && seconds_now() > kept + state_every) {
            keep_nested(s, p);
            kept = seconds_now();
        }
    }
    if (status == BML_MCMC_NOT_CONVERGED || status == BML_MCMC_CANCELLED) keep_nested(s, p);
    if (status == BML_MCMC_CANCELLED) stop_here(p);
    return status;
}

static void sample_nested(posterior *post, problem *p) {
    const options *opt = p->opt;
    bml_mcmc_nested_config config = {.n_dim = p->n_free,
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
    char why[BML_MCMC_MESSAGE];
    int status = bml_mcmc_nested_create(&post->nested, &config, why);
    int d = p->n_free;
    p->solver_judges = 0;
    if (!status) status = run_nested(post->nested, p);
    if (!opt->quiet && isatty(2)) fprintf(stderr, "\r\033[K");
    post->converged = !status;
    bml_mcmc_nested_result r;
    if ((status && status != BML_MCMC_NOT_CONVERGED) || bml_mcmc_nested_get_result(post->nested, &r))
        fail("fit_sed: %s %s", bml_mcmc_strerror(status), post->nested ? bml_mcmc_nested_message(post->nested) : why);
    if (opt->reweigh) reweigh(post, &r, p);
    if (bml_mcmc_nested_summary(post->nested, post->summary)) fail("fit_sed: out of memory");
    if (!r.rank_ok) {
        post->converged = 0;
        printf("the insertion-rank test failed (p = %.2g): do not trust ln Z\n", r.rank_p);
    }
    post->log_z = r.log_z;
    post->log_z_error = r.log_z_error;
    post->calls = p->calls;
    size_t n = r.ess > 1000 ? (size_t)r.ess : 1000;
    post->own = malloc(n * (size_t)(d + 1) * sizeof(double));
    if (!post->own || bml_mcmc_nested_draw(post->nested, post->own, post->own + n * (size_t)d, n, opt->seed))
        fail("fit_sed: out of memory");
    for (size_t i = 0; i < n; i++)
        post->own[n * (size_t)d + i] += bml_mcmc_prior_log_density(p->prior, post->own + i * (size_t)d);
    post->chain = (bml_mcmc_chain){post->own, post->own + n * (size_t)d, n, 1, d};
}

/* ---- NUTS takes log gamma_max as its share of what gamma_min and the blob leave: then no wall is in its way ---- */

typedef struct nuts_place { /* of gamma_max among the free parameters, -1: held */
    int index;
    double lo, room; /* log gamma_max = lo + share room */
    double confined; /* 1 where the blob sets the top, else 0 */
} nuts_place;

/* theta [n_free] from NUTS coordinates u [n_free]. */
static nuts_place nuts_theta(double *theta, const problem *p, const double *u) {
    nuts_place at = {-1, 0, 1, 0};
    double full[N_PAR];
    memcpy(theta, u, (size_t)p->n_free * sizeof *theta);
    expand(full, p, u);
    for (int i = 0; i < p->n_free; i++)
        if (p->free_par[i] == GAMMA_MAX) at.index = i;
    if (at.index < 0) return at;
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
    if (at.index >= 0) u[at.index] = fmin(fmax((theta[at.index] - at.lo) / at.room, 1e-6), 1 - 1e-6);
}

/* d(ln prior)/d(theta) by differences; nothing to do for the flat prior. */
static void prior_slope(double *d_theta, const problem *p, const double *theta) {
    double at[N_PAR];
    double density[2];
    const double h = 1e-5;
    memset(d_theta, 0, (size_t)p->n_free * sizeof *d_theta);
    if (!p->opt->prior) return;
    for (int k = 0; k < p->n_free; k++) {
        memcpy(at, theta, (size_t)p->n_free * sizeof *at);
        for (int side = 0; side < 2; side++) {
            at[k] = theta[k] + (side ? h : -h);
            density[side] = bml_mcmc_prior_log_density(p->prior, at);
        }
        if (density[0] > -HUGE_VAL && density[1] > -HUGE_VAL) d_theta[k] = (density[1] - density[0]) / (2 * h);
    }
}

/* ln posterior density in NUTS coordinates u [n][n_dim], with the Jacobian `room`, and its gradient. */
static void nuts_log_prob(double *lp, double *gradient, const double *u, int n, int n_dim, void *user) {
    problem *p = user;
    const int block = net_block_rows(p, n);
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(p->threads) if (n > block)
#endif
    for (int from = 0; from < n; from += block) {
        const int count = n - from < block ? n - from : block;
        double full[NET_ROWS * N_PAR];
        double d_full[NET_ROWS * N_PAR];
        double theta[NET_ROWS][N_PAR];
        nuts_place at[NET_ROWS];
        for (int i = 0; i < count; i++) {
            at[i] = nuts_theta(theta[i], p, u + (from + i) * n_dim);
            expand(full + i * N_PAR, p, theta[i]);
        }
        memset(d_full, 0, sizeof d_full);
        net_block(lp + from, d_full, p->dex + from * p->sed.n, full, count, p, &p->desk[thread_number()]);
        for (int i = 0; i < count; i++) {
            const double *d = d_full + i * N_PAR;
            const double share = at[i].index < 0 ? 0 : u[(from + i) * n_dim + at[i].index];
            double *g = gradient + (from + i) * n_dim;
            double room = at[i].room;
            lp[from + i] += bml_mcmc_prior_log_density(p->prior, theta[i]) + (room > 0 ? log(room) : -HUGE_VAL);
            if (!(lp[from + i] > -HUGE_VAL)) lp[from + i] = -HUGE_VAL;
            prior_slope(g, p, theta[i]);
            for (int k = 0; k < n_dim; k++)
                g[k] += d[p->free_par[k]];
            if (at[i].index < 0) continue;
            double by_max = g[at[i].index];
            g[at[i].index] = by_max * room;
            for (int k = 0; k < n_dim; k++) {
                if (p->free_par[k] == GAMMA_MIN) g[k] += by_max * (1 - share) - 1 / room;
                if (p->free_par[k] == R || p->free_par[k] == B) g[k] += at[i].confined * (by_max * share + 1 / room);
            }
        }
    }
    p->calls += n;
}

static int show_nuts(const bml_mcmc_nuts_progress *now, void *user) {
    char note[64];
    snprintf(note, sizeof note, "%.0f gradients", (double)now->gradients);
    progress_at(user, (double)now->draws, note);
    return interrupted;
}

enum { CHAINS = 16, NUTS_WARMUP = 400, NUTS_BLOCK = 200 };

static void keep_nuts(bml_mcmc_nuts *s, const problem *p) {
    const size_t size = bml_mcmc_nuts_save_size(s);
    void *bytes = state_room(size);
    state_write(p, bytes, size, bml_mcmc_nuts_save(s, bytes, size));
}

/* Runs until 50 autocorrelation times and min_ess, or --draws of each chain. */
static int nuts_run(bml_mcmc_nuts *s, posterior *post, problem *p) {
    int status = BML_MCMC_NOT_CONVERGED;
    double kept = seconds_now();
    if (p->opt->resume) {
        size_t size;
        void *bytes = state_read(&size, p);
        state_taken(p, bytes, bml_mcmc_nuts_load(s, bytes, size), bml_mcmc_nuts_message(s));
    }
    for (long done; (done = (long)bml_mcmc_nuts_chain(s).n_steps) < p->opt->draws && status;) {
        const long block_end = (done / NUTS_BLOCK + 1) * NUTS_BLOCK;
        const long next = block_end < p->opt->draws ? block_end : p->opt->draws;
        status = bml_mcmc_nuts_run(s, (size_t)(next - done));
        if (status && status != BML_MCMC_CANCELLED)
            fail("fit_sed: %s: %s", bml_mcmc_strerror(status), bml_mcmc_nuts_message(s));
        if (status || seconds_now() > kept + state_every) {
            keep_nuts(s, p);
            kept = seconds_now();
        }
        if (status) stop_here(p);
        status = bml_mcmc_summarize(post->summary, bml_mcmc_nuts_chain(s));
        if (status && status != BML_MCMC_NOT_CONVERGED) fail("fit_sed: %s", bml_mcmc_strerror(status));
        for (int k = 0; k < p->n_free; k++)
            if (!(post->summary[k].ess >= p->opt->min_ess)) status = BML_MCMC_NOT_CONVERGED;
    }
    if (status) keep_nuts(s, p);
    return status;
}

/* The chain of NUTS coordinates as a chain of theta, with its ln posterior and summary. */
static int nuts_take(posterior *post, bml_mcmc_chain u, problem *p) {
    const int d = p->n_free;
    const int W = u.n_walkers;
    const size_t n = u.n_steps * (size_t)W;
    post->own = malloc(n * (size_t)(d + 1) * sizeof(double));
    if (!post->own) fail("fit_sed: out of memory");
    double *lp = post->own + n * (size_t)d;
    for (size_t i = 0; i < n; i++)
        nuts_theta(post->own + i * (size_t)d, p, u.theta + i * (size_t)d);
    for (size_t from = 0; from < n; from += 65536)
        log_prob(lp + from, post->own + from * (size_t)d, (int)(n - from < 65536 ? n - from : 65536), d, p);
    post->chain = (bml_mcmc_chain){post->own, lp, u.n_steps, W, d};
    return bml_mcmc_summarize(post->summary, post->chain);
}

/* Chains start at walkers of a short climb. */
static void sample_nuts(posterior *post, problem *p) {
    const options *opt = p->opt;
    const int d = p->n_free;
    double *start = malloc((size_t)opt->walkers * (size_t)d * sizeof *start);
    double u[CHAINS * N_PAR];
    double lower[N_PAR];
    double upper[N_PAR];
    bml_mcmc_nuts *s;
    if (!start) fail("fit_sed: out of memory");
    progress_bar bar;
    progress_begin(&bar, "searching", 30, opt->quiet);
    search(start, p);
    climb(start, p, &bar);
    progress_end(&bar);
    bml_mcmc_prior_limits(lower, upper, p->prior);
    for (int k = 0; k < d; k++)
        if (p->free_par[k] == GAMMA_MAX) {
            lower[k] = 0;
            upper[k] = 1;
        }
    for (int i = 0; i < CHAINS; i++)
        nuts_inverse(u + i * d, p, start + i * opt->walkers / CHAINS * d);
    progress_begin(&bar, "sampling", (double)CHAINS * (double)(NUTS_WARMUP + opt->draws), opt->quiet);
    const bml_mcmc_nuts_config config = {.n_dim = d,
                                         .n_chains = CHAINS,
                                         .seed = opt->seed,
                                         .log_prob = nuts_log_prob,
                                         .user = p,
                                         .lower = lower,
                                         .upper = upper,
                                         .metric = BML_MCMC_DENSE,
                                         .warmup = NUTS_WARMUP,
                                         .max_depth = 9,
                                         .gradient_tolerance = 2e-2,
                                         .progress = show_nuts,
                                         .progress_user = &bar};
    char why[BML_MCMC_MESSAGE];
    int status = bml_mcmc_nuts_create(&s, &config, why);
    if (!status) status = bml_mcmc_nuts_start(s, u);
    if (status) fail("fit_sed: %s: %s", bml_mcmc_strerror(status), s ? bml_mcmc_nuts_message(s) : why);
    post->calls = -p->calls;
    post->converged = !nuts_run(s, post, p);
    post->calls += p->calls;
    progress_end(&bar);
    const bml_mcmc_nuts_info info = bml_mcmc_nuts_get_info(s);
    printf("NUTS: %.0f gradients, %.0f a draw; %.0f of %.0f draws diverged, %.0f met a wall, %.0f were cut short\n",
           (double)info.gradients, info.mean_tree, (double)info.divergences, (double)info.draws * CHAINS,
           (double)info.walls, (double)info.max_depth_hits);
    post->converged &= !nuts_take(post, bml_mcmc_nuts_chain(s), p);
    post->log_z = post->log_z_error = (double)NAN;
    post->markov = 1;
    bml_mcmc_nuts_free(s);
    free(start);
}

static void (*const samplers[])(posterior *, problem *) = {sample_ensemble, sample_nested, sample_nuts};

static void posterior_free(posterior *post) {
    bml_mcmc_ensemble_free(post->ensemble);
    bml_mcmc_nested_free(post->nested);
    free(post->own);
}
#endif
