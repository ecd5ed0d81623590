/* climb.h: from the prior to where the posterior is: search, climb, and the polynomial's learning. Public domain or
   MIT, see LICENSE. */
#ifndef FIT_SED_CLIMB_H
#define FIT_SED_CLIMB_H
#include "state.h"

/* Likelihoods of many points in pieces, so that a signal is obeyed at once. Returns 1 where it was: lp is not whole
   then. */
static int in_pieces(double *lp, const double *theta, int n, problem *p, int with_prior) {
    const int piece = by_network(p) ? 4096 : 8 * p->threads;
    for (int from = 0; from < n; from += piece) {
        const int count = n - from < piece ? n - from : piece;
        if (stop_asked()) return 1;
        evaluate(lp + from, theta + (long)from * p->n_free, count, p->n_free, p, with_prior);
    }
    return 0;
}

/* ==== search and climb ============================================================================================ */

/* The best of many draws from the prior, more where there is more room, as start positions [walkers][n_free]. ln f
   starts at ln 0.5: a wide error finds the right neighbourhood first. */
static void search(double *start, problem *p) {
    enum { EACH = 512, MOST = 8 }; /* draws for a parameter, up to so many */
    int d = p->n_free;
    int W = (int)p->opt->walkers;
    int draws = EACH * (d < MOST ? d : MOST);
    int n = draws > 8 * W ? draws : 8 * W;
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
        for (int k = p->n_model; k < d; k++) { /* unless the prior will not have it */
            double drawn = theta[i * d + k];
            theta[i * d + k] = log(0.5) + 0.1 * bml_mcmc_rng_normal(&rng);
            if (!(bml_mcmc_prior_log_density(p->prior, theta + i * d) > -HUGE_VAL)) theta[i * d + k] = drawn;
        }
    }
    if (in_pieces(lp, theta, n, p, 1)) {
        state s = {.head = {.phase = PHASE_CLIMB, .best = -HUGE_VAL}}; /* nothing found: the search begins again */
        p->learned.n = 0;
        p->learned.best = -HUGE_VAL;
        state_write(p, &s);
        stop_here(p);
    }
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

/* Fit the polynomial to what was learned near the best points; 0 when that worked. Not to all of very many, whose sums
   would take longer than a signal may wait: every so manieth will do. */
static int learn(problem *p) {
    enum { MOST = 10000 };
    const memory *m = &p->learned;
    forget_behind(p);
    const long kept = m->n;
    response_free(&p->response);
    if (kept <= MOST) return response_fit(&p->response, m->theta, m->dex, kept, p->n_model, p->sed.n, 4);
    const size_t d = (size_t)p->n_model;
    const size_t n = (size_t)p->sed.n;
    double *theta = malloc(MOST * (d + n) * sizeof *theta);
    if (!theta) fail("fit_sed: out of memory");
    double *dex = theta + MOST * d;
    for (size_t i = 0; i < MOST; i++) {
        const size_t from = i * (size_t)kept / MOST;
        memcpy(theta + i * d, m->theta + from * d, d * sizeof *theta);
        memcpy(dex + i * n, m->dex + from * n, n * sizeof *dex);
    }
    const int status = response_fit(&p->response, theta, dex, MOST, p->n_model, p->sed.n, 4);
    free(theta);
    return status;
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

/* For stages without a bar of their own. */
static int only_stop(const bml_mcmc_progress *now, void *user) {
    (void)now;
    (void)user;
    return stop_asked() != 0;
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
    return stop_asked() != 0;
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
                              .progress = s->bar ? show_progress : only_stop,
                              .progress_user = s->bar};
    bml_mcmc_ensemble *e;
    char why[BML_MCMC_MESSAGE];
    int status = bml_mcmc_ensemble_create(&e, &config, why);
    if (!status) status = bml_mcmc_start_given(e, start);
    if (status) fail("fit_sed: %s: %s", bml_mcmc_strerror(status), e ? bml_mcmc_ensemble_message(e) : why);
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
    double *start, *archive;
    long learned;
    int archive_n;
    double best;
} before_round;

static before_round remember_round(const double *start, const problem *p) {
    const size_t n = (size_t)p->opt->walkers * (size_t)p->n_free;
    const size_t m = (size_t)p->archive_n * (size_t)p->n_free;
    before_round b = {.learned = p->learned.n, .archive_n = p->archive_n, .best = p->learned.best};
    b.start = malloc(n * sizeof(double));
    b.archive = malloc((m + 1) * sizeof(double));
    if (!b.start || !b.archive) fail("fit_sed: out of memory");
    memcpy(b.start, start, n * sizeof(double));
    if (m) memcpy(b.archive, p->archive, m * sizeof(double));
    return b;
}

static void forget_round(before_round *b) {
    free(b->start);
    free(b->archive);
}

/* Leaves the state from before the round, and ends. */
static void stop_in_round(problem *p, before_round *b, state_head at) {
    state s = {.head = at, .start = b->start};
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
    state s = {.head = at, .start = start};
    if (seconds_now() < *kept + state_every) return;
    *kept = seconds_now();
    if (state_try(p, &s, err)) fprintf(stderr, "%s\n", err);
}

/* Stages and their proposals. */
enum { ARCHIVE_EACH = 1000, ARCHIVE_MOST = 8, CHECKS = 1500, REFINE_ROUNDS = 10, REFINE_STEPS = 30 };
static const bml_mcmc_move plain_moves[] = {
    {BML_MCMC_STRETCH, 1, 0, 0}, {BML_MCMC_DE, 1, 0, 0}, {BML_MCMC_SNOOKER, 0.2, 0, 0}};
static const bml_mcmc_move explore_moves[] = {
    {BML_MCMC_STRETCH, 1, 0, 0}, {BML_MCMC_DE, 1, 0, 0}, {BML_MCMC_MIXTURE, 1, 0, 0}};
static const bml_mcmc_move screened_moves[] = {
    {BML_MCMC_SURROGATE, 0.6, 0, 60}, {BML_MCMC_STRETCH, 0.3, 0, 0}, {BML_MCMC_DE, 0.1, 0, 0}};

/* A round of plain moves; start [walkers][n_free] in and out. Returns how many walkers were stuck, -1 where it was
   asked to stop; *top: the best ln p. */
static int climb_round(double *start, double *top, problem *p, bml_mcmc_rng *rng, int round) {
    const setup s = {.moves = plain_moves, .n_moves = 3, .seed = 1000 + (uint64_t)round};
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
        at.still = top < at.best + 0.5 && stuck == 0 ? at.still + 1 : 0;
        at.best = fmax(at.best, top);
        forget_round(&before);
        progress_at(bar, round + 1, "climbing");
    }
}

/* A sample of the polynomial's posterior, so many points for a parameter, [.][n_free] in p->archive, started from start and helped by
   the archive before it. Returns 1 where it was asked to stop. */
static int explore(const double *start, problem *p, uint64_t seed) {
    int W = (int)p->opt->walkers;
    int d = p->n_free;
    long thin = 10;
    long keep = ARCHIVE_EACH * (d < ARCHIVE_MOST ? d : ARCHIVE_MOST) / W + 1;
    setup s = {
        .moves = explore_moves, .n_moves = p->archive_n ? 3 : 2, .seed = seed, .only_response = 1, .thin = (int)thin};
    bml_mcmc_ensemble *e = ensemble(p, start, &s);
    if (run(e, 2 * keep * thin)) { /* its first half is burn-in */
        bml_mcmc_ensemble_free(e);
        return 1;
    }
    bml_mcmc_chain chain = bml_mcmc_chain_drop(bml_mcmc_ensemble_chain(e), (size_t)keep);
    p->archive_n = (int)chain.n_steps * W;
    p->archive = realloc(p->archive, (size_t)p->archive_n * (size_t)d * sizeof(double));
    if (!p->archive) fail("fit_sed: out of memory");
    memcpy(p->archive, chain.theta, (size_t)p->archive_n * (size_t)d * sizeof(double));
    bml_mcmc_ensemble_free(e);
    return 0;
}

/* New start positions, drawn from theta [n][n_free] by weight; no point twice, though a walker that stood still left
   it twice in the archive. */
static void start_by_weight(double *start, const double *theta, double *weight, int n, const problem *p,
                            bml_mcmc_rng *rng) {
    const int d = p->n_free;
    const size_t bytes = (size_t)d * sizeof *theta;
    for (int w = 0; w < (int)p->opt->walkers; w++) {
        double left = 0;
        for (int i = 0; i < n; i++)
            left += weight[i];
        if (!(left > 0)) break;
        double u = bml_mcmc_rng_uniform(rng) * left;
        int at = 0;
        while (at < n - 1 && u - weight[at] > 0)
            u -= weight[at++];
        memcpy(start + w * d, theta + at * d, bytes);
        for (int i = 0; i < n; i++)
            if (!memcmp(theta + i * d, start + w * d, bytes)) weight[i] = 0;
    }
}

/* Ask the solver at CHECKS points of the archive and keep all its answers, to learn from. New start positions are
   drawn from these points by the ratio of exact to approximate density. Returns 1 where it was asked to stop. */
static int check_archive(double *start, problem *p, bml_mcmc_rng *rng) {
    const int d = p->n_free;
    const int n = p->archive_n < CHECKS ? p->archive_n : CHECKS;
    double *theta = malloc((size_t)n * (size_t)d * sizeof *theta);
    double *lp = malloc(2 * (size_t)n * sizeof *lp);
    if (!theta || !lp) fail("fit_sed: out of memory");
    double *ratio = lp + n;
    double top = -HUGE_VAL;
    for (int i = 0; i < n; i++)
        memcpy(theta + i * d, p->archive + (long)i * p->archive_n / n * d, (size_t)d * sizeof *theta);
    log_prob_response(ratio, theta, n, d, p);
    p->pin = 1;
    const int stopped = in_pieces(lp, theta, n, p, 1);
    p->pin = 0;
    for (int i = 0; i < n && !stopped; i++) {
        ratio[i] = lp[i] - ratio[i];
        top = fmax(top, ratio[i]);
    }
    for (int i = 0; i < n && !stopped; i++)
        ratio[i] = exp(ratio[i] - top);
    if (!stopped) start_by_weight(start, theta, ratio, n, p, rng);
    free(theta);
    free(lp);
    return stopped;
}

/* One round of learning, exploring and checking. Returns 1 where it was asked to stop. */
static int refine_round(double *start, problem *p, int round) {
    const size_t bytes = (size_t)p->opt->walkers * (size_t)p->n_free * sizeof *start;
    setup s = {.moves = screened_moves, .n_moves = 3, .seed = 3000 + (uint64_t)round};
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, p->opt->seed, 2000000 + (uint64_t)round);
    p->warmth = round % 2 ? 1 : 2;
    int stopped = explore(start, p, 2000 + (uint64_t)round) || check_archive(start, p, &rng);
    if (!stopped) {
        bml_mcmc_ensemble *e = ensemble(p, start, &s);
        stopped = run(e, REFINE_STEPS);
        if (!stopped) memcpy(start, bml_mcmc_ensemble_get_info(e).theta, bytes);
        bml_mcmc_ensemble_free(e);
    }
    p->warmth = 1;
    return stopped;
}

/* Rounds of refine_round. A polynomial that is too low somewhere hides that place from its own posterior, so every
   other round explores with a warmer likelihood, and every round ends with exact steps from where the check found it
   too low. */
static void refine(double *start, problem *p, state_head at, progress_bar *bar) {
    double kept = seconds_now();
    for (int round = at.phase == PHASE_REFINE ? (int)at.round : 0; round <= REFINE_ROUNDS; round++) {
        if (learn(p)) return; /* too few points: plain moves it is */
        before_round before = remember_round(start, p);
        at.phase = PHASE_REFINE;
        at.round = round;
        keep_round(p, start, at, &kept);
        const int stopped =
            round < REFINE_ROUNDS ? refine_round(start, p, round) : explore(start, p, 2000 + REFINE_ROUNDS);
        if (stopped) stop_in_round(p, &before, at);
        forget_round(&before);
        progress_at(bar, 30 + 1 + round, "learning");
    }
}
#endif
