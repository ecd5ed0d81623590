/* climb.h: from the prior to where the posterior is: search, climb, and the polynomial's learning. Public domain or
   MIT, see LICENSE. */
#ifndef FIT_SED_CLIMB_H
#define FIT_SED_CLIMB_H
#include "state.h"

/* Likelihoods of many points in pieces, so that a signal is obeyed at once. Returns 1 where it was: lp is not whole
   then. */
static int in_pieces(double *lp, const double *theta, int n, problem *p, int with_prior) {
    const int d = p->n_free;
    const int piece = by_network(p) ? 4096 : 8 * p->threads;
    while (n > 0) {
        const int count = n < piece ? n : piece;
        if (stop_asked()) return 1;
        evaluate(lp, theta, count, d, p, with_prior);
        lp += count;
        theta += (long)count * d;
        n -= count;
    }
    return 0;
}

/* ==== search and climb ============================================================================================ */

/* A draw from the prior, but ln f near ln 0.5, unless the prior will not have it: a wide error finds the right
   neighbourhood first. */
static void search_draw(double *theta, const problem *p, bml_mcmc_rng *rng) {
    double cube[N_PAR];
    for (int k = 0; k < p->n_free; k++)
        cube[k] = bml_mcmc_rng_uniform(rng);
    if (bml_mcmc_prior_transform(p->prior, theta, cube)) fail("fit_sed: the prior leaves no room");
    for (int k = p->n_model; k < p->n_free; k++) {
        const double drawn = theta[k];
        theta[k] = log(0.5) + 0.1 * bml_mcmc_rng_normal(rng);
        const int possible = bml_mcmc_prior_log_density(p->prior, theta) > -HUGE_VAL;
        if (!possible) theta[k] = drawn;
    }
}

/* A signal while nothing is found: the search begins again. */
static void stop_in_search(problem *p) {
    state s = {0};
    s.head.phase = PHASE_CLIMB;
    s.head.best = -HUGE_VAL;
    p->learned.n = 0;
    p->learned.best = -HUGE_VAL;
    state_write(p, &s);
    stop_here(p);
}

static int index_of_most(const double *x, int n) {
    int most = 0;
    for (int i = 1; i < n; i++)
        if (x[i] > x[most]) most = i;
    return most;
}

/* Fewer parameters leave less room to fill: their number, up to eight. */
static int worth(int n_free) {
    return n_free < 8 ? n_free : 8;
}

/* The best of many draws from the prior, as start positions [walkers][n_free]. */
static void search(double *start, problem *p) {
    enum { DRAWS_EACH = 512 }; /* for a parameter */
    const int d = p->n_free;
    const int W = (int)p->opt->walkers;
    const int draws = DRAWS_EACH * worth(d);
    const int n = draws > 8 * W ? draws : 8 * W;
    double *theta = room(n, d);
    double *lp = room(n, 1);
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, p->opt->seed, 0);
    for (int i = 0; i < n; i++)
        search_draw(theta + i * d, p, &rng);
    if (in_pieces(lp, theta, n, p, 1)) stop_in_search(p);
    for (int w = 0; w < W; w++) {
        const int best = index_of_most(lp, n);
        if (!(lp[best] > -HUGE_VAL)) fail("fit_sed: no point of the prior gives a spectrum that reaches the data");
        copy_doubles(start + w * d, theta + best * d, d);
        lp[best] = -HUGE_VAL;
    }
    free(theta);
    free(lp);
}

/* Fit the polynomial to what was learned near the best points; 0 when that worked. Not to all of very many, whose sums
   would take longer than a signal may wait: every so manieth will do. */
static int learn(problem *p) {
    enum { MOST = 10000 };
    const memory *m = &p->learned;
    const int d = p->n_model;
    const int n = p->sed.n;
    forget_behind(p);
    const long kept = m->n;
    response_free(&p->response);
    if (kept <= MOST) return response_fit(&p->response, m->theta, m->dex, kept, d, n, 4);
    double *theta = room(MOST, d);
    double *dex = room(MOST, n);
    for (long i = 0; i < MOST; i++) {
        const long from = i * kept / MOST;
        copy_doubles(theta + i * d, m->theta + from * d, d);
        copy_doubles(dex + i * n, m->dex + from * n, n);
    }
    const int status = response_fit(&p->response, theta, dex, MOST, d, n, 4);
    free(theta);
    free(dex);
    return status;
}

/* Walkers near the best, and those far below it, which are stuck. */
typedef struct flock_of_walkers {
    int *good;
    int *bad;
    int n_good;
    int n_bad;
    double best; /* ln p */
} flock_of_walkers;

static flock_of_walkers sort_walkers(const bml_mcmc_ensemble_info *info) {
    const int W = info->n_walkers;
    flock_of_walkers f = {0};
    f.good = malloc((size_t)W * sizeof *f.good);
    f.bad = malloc((size_t)W * sizeof *f.bad);
    if (!f.good || !f.bad) fail("fit_sed: out of memory");
    f.best = -HUGE_VAL;
    for (int w = 0; w < W; w++)
        f.best = fmax(f.best, info->log_prob[w]);
    for (int w = 0; w < W; w++) {
        const int is_good = info->log_prob[w] > f.best - bad_by;
        if (is_good)
            f.good[f.n_good++] = w;
        else
            f.bad[f.n_bad++] = w;
    }
    return f;
}

/* A place between three good walkers. */
static void between_good(double *trial, const flock_of_walkers *f, const bml_mcmc_ensemble_info *info,
                         bml_mcmc_rng *rng) {
    const double *c[3];
    for (int j = 0; j < 3; j++) {
        const int drawn = (int)(bml_mcmc_rng_uniform(rng) * f->n_good);
        c[j] = info->theta + f->good[drawn] * info->n_dim;
    }
    for (int k = 0; k < info->n_dim; k++) {
        const double apart = c[1][k] - c[2][k];
        const double noise = bml_mcmc_rng_normal(rng);
        trial[k] = c[0][k] + 0.3 * apart + 1e-4 * noise;
    }
}

/* Walkers far below the best start again between three good ones. Returns how many were moved. */
static int leave_stuck(double *theta, const bml_mcmc_ensemble_info *info, problem *p, bml_mcmc_rng *rng) {
    const int d = info->n_dim;
    flock_of_walkers f = sort_walkers(info);
    const int moved = f.n_bad;
    double *trial = room(info->n_walkers, d);
    double *lp = room(info->n_walkers, 1);
    copy_doubles(theta, info->theta, (long)info->n_walkers * d);
    if (f.n_good == 0) f.n_bad = 0; /* ln p so large that its digits end above 15: nothing to tell them apart */
    for (int attempt = 0; attempt < 30 && f.n_bad > 0; attempt++) {
        int left = 0;
        for (int i = 0; i < f.n_bad; i++)
            between_good(trial + i * d, &f, info, rng);
        log_prob(lp, trial, f.n_bad, d, p);
        for (int i = 0; i < f.n_bad; i++) {
            const int w = f.bad[i];
            if (lp[i] > f.best - bad_by)
                copy_doubles(theta + w * d, trial + i * d, d);
            else
                f.bad[left++] = w;
        }
        f.n_bad = left;
    }
    free(f.good);
    free(f.bad);
    free(trial);
    free(lp);
    return moved;
}

/* For stages without a bar of their own. */
static int only_stop(const bml_mcmc_progress *now, void *user) {
    (void)now;
    (void)user;
    return stop_asked() != 0;
}

typedef struct setup { /* of an ensemble, beside what the problem says */
    const bml_mcmc_move *moves;
    int n_moves;
    int thin;
    int only_response;
    uint64_t seed;                 /* added to the user's */
    const char *const *names;      /* [n_free], NULL: none */
    bml_mcmc_progress_fn progress; /* NULL: only_stop */
    void *progress_user;
} setup;

static bml_mcmc_ensemble *ensemble(problem *p, const double *start, const setup *s) {
    bml_mcmc_config config = {0};
    bml_mcmc_ensemble *e;
    char why[BML_MCMC_MESSAGE];
    config.n_dim = p->n_free;
    config.n_walkers = (int)p->opt->walkers;
    config.seed = p->opt->seed + s->seed;
    config.log_prob = s->only_response ? log_prob_response : log_prob;
    config.user = p;
    if (p->response.coef) config.surrogate = log_prob_response;
    if (p->archive_n) config.reference = p->archive;
    config.n_reference = p->archive_n;
    config.moves = s->moves;
    config.n_moves = s->n_moves;
    config.thin = s->thin;
    config.names = s->names;
    config.progress = s->progress ? s->progress : only_stop;
    config.progress_user = s->progress_user;
    int status = bml_mcmc_ensemble_create(&e, &config, why);
    if (status) fail("fit_sed: %s: %s", bml_mcmc_strerror(status), why);
    status = bml_mcmc_start_given(e, start);
    if (status) fail("fit_sed: %s: %s", bml_mcmc_strerror(status), bml_mcmc_ensemble_message(e));
    return e;
}

/* Returns 1 where it was asked to stop before the end. */
static int run(bml_mcmc_ensemble *e, long steps) {
    const int status = bml_mcmc_run(e, (size_t)steps);
    if (status == BML_MCMC_CANCELLED) return 1;
    if (status) fail("fit_sed: %s: %s", bml_mcmc_strerror(status), bml_mcmc_ensemble_message(e));
    return 0;
}

/* What a round of climbing or refining changes, as it was before: after a stop the round is done again from here. */
typedef struct before_round {
    double *start;
    double *archive;
    long learned;
    int archive_n;
    double best;
} before_round;

static before_round remember_round(const double *start, const problem *p) {
    const long d = p->n_free;
    const long walkers = p->opt->walkers;
    before_round b;
    b.learned = p->learned.n;
    b.best = p->learned.best;
    b.archive_n = p->archive_n;
    b.start = room(walkers, d);
    b.archive = room(p->archive_n, d);
    copy_doubles(b.start, start, walkers * d);
    copy_doubles(b.archive, p->archive, p->archive_n * d);
    return b;
}

static void forget_round(before_round *b) {
    free(b->start);
    free(b->archive);
}

/* Leaves the state from before the round, and ends. */
static void stop_in_round(problem *p, before_round *b, state_head at) {
    state s = {0};
    s.head = at;
    s.start = b->start;
    p->learned.n = b->learned;
    p->learned.best = b->best;
    p->archive_n = b->archive_n;
    free(p->archive);
    p->archive = b->archive;
    state_write(p, &s);
    stop_here(p);
}

/* At most once in state_every seconds: the state from before a round, for a run that is killed. What the disk does not take
   now it may take later. */
static void keep_round(const problem *p, double *start, state_head at, double *kept) {
    char err[ERROR_SIZE];
    state s = {0};
    const double now = seconds_now();
    if (now < *kept + state_every) return;
    *kept = now;
    s.head = at;
    s.start = start;
    if (state_try(p, &s, err)) fprintf(stderr, "%s\n", err);
}

/* Stages and their proposals: kind, weight, scale, count. */
enum { ARCHIVE_EACH = 1000 }; /* points for a parameter */
enum { CHECKS = 1500 };
enum { REFINE_ROUNDS = 10 };
enum { REFINE_STEPS = 30 };
static const bml_mcmc_move plain_moves[] = {
    {BML_MCMC_STRETCH, 1, 0, 0},
    {BML_MCMC_DE, 1, 0, 0},
    {BML_MCMC_SNOOKER, 0.2, 0, 0},
};
static const bml_mcmc_move explore_moves[] = {
    {BML_MCMC_STRETCH, 1, 0, 0}, {BML_MCMC_DE, 1, 0, 0}, {BML_MCMC_MIXTURE, 1, 0, 0}, /* last: it needs an archive */
};
static const bml_mcmc_move screened_moves[] = {
    {BML_MCMC_SURROGATE, 0.6, 0, 60},
    {BML_MCMC_STRETCH, 0.3, 0, 0},
    {BML_MCMC_DE, 0.1, 0, 0},
};

static setup three_moves(const bml_mcmc_move *moves, uint64_t seed) {
    setup s = {0};
    s.moves = moves;
    s.n_moves = 3;
    s.seed = seed;
    return s;
}

/* A round of plain moves; start [walkers][n_free] in and out. Returns how many walkers were stuck, -1 where it was
   asked to stop; *top: the best ln p. */
static int climb_round(double *start, double *top, problem *p, bml_mcmc_rng *rng, int round) {
    const setup s = three_moves(plain_moves, 1000 + (uint64_t)round);
    bml_mcmc_ensemble *e = ensemble(p, start, &s);
    int stuck = -1;
    *top = -HUGE_VAL;
    if (!run(e, 40)) {
        const bml_mcmc_ensemble_info info = bml_mcmc_ensemble_get_info(e);
        for (int w = 0; w < info.n_walkers; w++)
            *top = fmax(*top, info.log_prob[w]);
        stuck = leave_stuck(start, &info, p, rng);
    }
    bml_mcmc_ensemble_free(e);
    return stuck;
}

/* Climb until the best point stands still, leaving stuck walkers behind; at: where an earlier leg ended. */
static void climb(double *start, problem *p, state_head at, progress_bar *bar) {
    enum { ROUNDS = 30 };
    double kept = seconds_now();
    for (int round = (int)at.round; round < ROUNDS && at.still < 3; round++) {
        before_round before = remember_round(start, p);
        bml_mcmc_rng rng;
        double top;
        bml_mcmc_rng_init(&rng, p->opt->seed, 1000000 + (uint64_t)round);
        at.phase = PHASE_CLIMB;
        at.round = round;
        keep_round(p, start, at, &kept);
        const int stuck = climb_round(start, &top, p, &rng, round);
        if (stuck < 0) stop_in_round(p, &before, at);
        const int stands_still = top < at.best + 0.5 && stuck == 0;
        at.still = stands_still ? at.still + 1 : 0;
        at.best = fmax(at.best, top);
        forget_round(&before);
        progress_at(bar, round + 1, "climbing");
    }
}

/* A sample of the polynomial's posterior, so many points for a parameter, [.][n_free] in p->archive, started from start and helped by
   the archive before it. Returns 1 where it was asked to stop. */
static int explore(const double *start, problem *p, uint64_t seed) {
    const int W = (int)p->opt->walkers;
    const int d = p->n_free;
    const long keep = ARCHIVE_EACH * worth(d) / W + 1;
    setup s = three_moves(explore_moves, seed);
    if (!p->archive_n) s.n_moves = 2;
    s.only_response = 1;
    s.thin = 10;
    bml_mcmc_ensemble *e = ensemble(p, start, &s);
    const int stopped = run(e, 2 * keep * s.thin); /* its first half is burn-in */
    if (!stopped) {
        const bml_mcmc_chain chain = bml_mcmc_chain_drop(bml_mcmc_ensemble_chain(e), (size_t)keep);
        p->archive_n = (int)chain.n_steps * W;
        free(p->archive);
        p->archive = room(p->archive_n, d);
        copy_doubles(p->archive, chain.theta, (long)p->archive_n * d);
    }
    bml_mcmc_ensemble_free(e);
    return stopped;
}

/* New start positions, drawn from theta [n][n_free] by weight; no point twice, though a walker that stood still left
   it twice in the archive. */
static void start_by_weight(double *start, const double *theta, double *weight, int n, const problem *p,
                            bml_mcmc_rng *rng) {
    const int d = p->n_free;
    const size_t bytes = (size_t)d * sizeof *theta;
    for (long w = 0; w < p->opt->walkers; w++) {
        double left = 0;
        for (int i = 0; i < n; i++)
            left += weight[i];
        if (!(left > 0)) break;
        double u = bml_mcmc_rng_uniform(rng) * left;
        int at = 0;
        while (at < n - 1 && u - weight[at] > 0) {
            u -= weight[at];
            at++;
        }
        const double *chosen = theta + at * d;
        memcpy(start + w * d, chosen, bytes);
        for (int i = 0; i < n; i++) {
            const int same = !memcmp(theta + i * d, chosen, bytes);
            if (same) weight[i] = 0;
        }
    }
}

/* Ask the solver at CHECKS points of the archive and keep all its answers, to learn from. New start positions are
   drawn from these points by the ratio of exact to approximate density. Returns 1 where it was asked to stop. */
static int check_archive(double *start, problem *p, bml_mcmc_rng *rng) {
    const int d = p->n_free;
    const int n = p->archive_n < CHECKS ? p->archive_n : CHECKS;
    double *theta = room(n, d);
    double *lp = room(n, 1);
    double *weight = room(n, 1);
    double top = -HUGE_VAL;
    for (int i = 0; i < n; i++) {
        const long row = (long)i * p->archive_n / n;
        copy_doubles(theta + i * d, p->archive + row * d, d);
    }
    log_prob_response(weight, theta, n, d, p);
    p->pin = 1;
    const int stopped = in_pieces(lp, theta, n, p, 1);
    p->pin = 0;
    if (!stopped) {
        for (int i = 0; i < n; i++) {
            weight[i] = lp[i] - weight[i];
            top = fmax(top, weight[i]);
        }
        for (int i = 0; i < n; i++)
            weight[i] = exp(weight[i] - top);
        start_by_weight(start, theta, weight, n, p, rng);
    }
    free(theta);
    free(lp);
    free(weight);
    return stopped;
}

/* One round of learning, exploring and checking. Returns 1 where it was asked to stop. */
static int refine_round(double *start, problem *p, int round) {
    const uint64_t number = (uint64_t)round;
    const setup s = three_moves(screened_moves, 3000 + number);
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, p->opt->seed, 2000000 + number);
    p->warmth = round % 2 ? 1 : 2;
    int stopped = explore(start, p, 2000 + number);
    if (!stopped) stopped = check_archive(start, p, &rng);
    if (!stopped) {
        bml_mcmc_ensemble *e = ensemble(p, start, &s);
        stopped = run(e, REFINE_STEPS);
        const double *reached = bml_mcmc_ensemble_get_info(e).theta;
        if (!stopped) copy_doubles(start, reached, p->opt->walkers * p->n_free);
        bml_mcmc_ensemble_free(e);
    }
    p->warmth = 1;
    return stopped;
}

/* Rounds of refine_round. A polynomial that is too low somewhere hides that place from its own posterior, so every
   other round explores with a warmer likelihood, and every round ends with exact steps from where the check found it
   too low. */
static void refine(double *start, problem *p, state_head at, progress_bar *bar) {
    const int first = at.phase == PHASE_REFINE ? (int)at.round : 0;
    double kept = seconds_now();
    for (int round = first; round <= REFINE_ROUNDS; round++) {
        if (learn(p)) return; /* too few points: plain moves it is */
        before_round before = remember_round(start, p);
        int stopped;
        at.phase = PHASE_REFINE;
        at.round = round;
        keep_round(p, start, at, &kept);
        if (round < REFINE_ROUNDS)
            stopped = refine_round(start, p, round);
        else
            stopped = explore(start, p, 2000 + REFINE_ROUNDS);
        if (stopped) stop_in_round(p, &before, at);
        forget_round(&before);
        progress_at(bar, 30 + 1 + round, "learning");
    }
}
#endif
