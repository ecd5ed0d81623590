/* test_mcmc_verdict.c: bml_mcmc.h's verdicts. R-hat and ESS against ArviZ; results that are wrong must be refused, each for
   its reason; results that are right must not be, but for 2 in 100; run_until reaches its goal without help. */
#include "check.h"
#include <stdint.h>
#include <string.h>
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

static uint64_t seed;
static int quick;
static int thorough;
static char why[BML_MCMC_MESSAGE];

static int has(const bml_mcmc_verdict *v, int kind, int refuses) {
    for (int i = 0; i < v->n_reasons; i++)
        if (v->reason[i].kind == kind && v->reason[i].refuses == refuses) return 1;
    return 0;
}
static const char *text_of(const bml_mcmc_verdict *v, int kind) {
    for (int i = 0; i < v->n_reasons; i++)
        if (v->reason[i].kind == kind) return v->reason[i].text;
    return "(not said)";
}

/* ---- ArviZ ---- */

/* x[n][W]: AR(1) driven by a generator that the script below has too; kind 1: the first chain moved by 0.3; 2: cubed; 3:
   rounded to quarters, with ties; 4: the first chain twice as wide. */
static double *fixture(int n, int W, double phi, int kind) {
    double *x = malloc((size_t)(n * W) * sizeof *x);
    uint64_t s = 12345;
    for (int w = 0; w < W; w++) {
        double y = 0;
        for (int t = 0; t < n; t++) {
            s = s * 6364136223846793005u + 1442695040888963407u;
            y = phi * y + ((double)(s >> 11) / 9007199254740992.0 - 0.5);
            double v = y;
            if (kind == 1 && w == 0) v = y + 0.3;
            if (kind == 2) v = y * y * y;
            if (kind == 3) v = floor(4 * y + 0.5) / 4;
            if (kind == 4 && w == 0) v = 2 * y;
            x[t * W + w] = v;
        }
    }
    return x;
}

/* Made with ArviZ 0.23.4 on the same arrays, x[W][n]: az.rhat(x, method="rank"), az.ess(x, method="bulk"),
   az.ess(x, method="tail"), printed with 10 and 7 digits. A single chain has no R-hat there. */
static void test_arviz(void) {
    static const struct {
        int n;
        int W;
        double phi;
        int kind;
        double rhat;
        double bulk;
        double tail;
    } known[9] = {
        {250, 4, 0.3, 0, 1.0137154931, 529.8467108, 732.3231940},
        {251, 4, 0.9, 0, 1.1679471988, 23.0992957, 59.3164818},
        {400, 4, 0.5, 1, 1.0898692950, 33.8341376, 225.3057481},
        {1000, 2, 0.8, 2, 1.0104212267, 181.9588669, 358.0517561},
        {300, 6, 0.6, 3, 1.0247558239, 360.0982800, 787.7343431},
        {300, 4, 0.2, 4, 1.1144331508, 834.6446845, 40.4859655},
        {64, 1, 0.5, 0, 0, 27.2374857, 45.4582248},
        {500, 32, 0.95, 0, 1.0640556003, 424.3612922, 686.5382943},
        {200, 4, -0.6, 0, 0.9966005542, 2322.4719896, 872.2362841},
    };
    for (int i = 0; i < 9; i++) {
        double *x = fixture(known[i].n, known[i].W, known[i].phi, known[i].kind);
        bml_mcmc_chain chain = {x, NULL, (size_t)known[i].n, known[i].W, 1};
        bml_mcmc_summary s;
        bml_mcmc_summarize(&s, chain);
        /* the digits that ArviZ's numbers were printed with */
        if (known[i].rhat > 0) CHECK_NEAR(s.rhat, known[i].rhat, 1e-9, "R-hat as ArviZ has it");
        CHECK_NEAR(s.ess_bulk, known[i].bulk, 2e-9 * known[i].bulk + 1e-7, "bulk ESS as ArviZ has it");
        CHECK_NEAR(s.ess_tail, known[i].tail, 2e-9 * known[i].tail + 1e-7, "tail ESS as ArviZ has it");
        free(x);
    }
}

/* A sheet of width 0.02 in the first two of eight coordinates, bent along the others, which are uniform in [-1, 1]: the
   evidence is that of the two widths in ranges of 8, exactly 1/64. Slices along differences of far points seldom lie in
   it. With one sweep a run forgets its start in nothing, so that its live points are copies of few, and its ln Z is off
   by several of its errors in some runs and not in others: all of them must be refused. */
static void sheet(double *lp, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d) {
        double first = x[0];
        double second = x[1];
        for (int k = 2; k < d; k++) {
            first -= 0.5 * x[k] * x[k];
            second -= 0.5 * x[k] * x[2 + (k - 1) % (d - 2)];
        }
        lp[i] = -0.5 * (first * first + second * second) / 4e-4 - log(2 * 3.141592653589793 * 4e-4);
    }
}
static int sheet_box(double *theta, const double *cube, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n * d; i++)
        theta[i] = i % d < 2 ? 8 * cube[i] - 3 - i % d : 2 * cube[i] - 1;
    return 0;
}

static void test_sheet(void) {
    enum { RUNS = 6 };
    const double truth = -log(64.0);
    double worst = 0;
    int refused = 0;
    for (uint64_t k = 0; k < RUNS; k++) {
        bml_mcmc_nested_config c = {.n_dim = 8,
                                    .live_points = 200,
                                    .sweeps = 1,
                                    .seed = 100 * seed + k,
                                    .log_likelihood = sheet,
                                    .transform = sheet_box};
        bml_mcmc_nested *s = NULL;
        bml_mcmc_nested_result r;
        bml_mcmc_verdict v;
        if (bml_mcmc_nested_create(&s, &c, why) || bml_mcmc_nested_run(s, 0)) CHECK(0, "sheet: %s", why);
        refused += bml_mcmc_nested_verdict(&v, s) == BML_MCMC_NOT_CONVERGED;
        bml_mcmc_nested_get_result(s, &r);
        worst = fmax(worst, fabs(r.log_z - truth) / r.log_z_error);
        CHECK(has(&v, BML_MCMC_REASON_CORRELATION, 0) || has(&v, BML_MCMC_REASON_CORRELATION, 1),
              "a bent sheet, one sweep: ln Z %.3f +- %.3f, truth %.3f, check %.3f +- %.3f (Pareto shape %.2f): %s",
              r.log_z, r.log_z_error, truth, v.check_log_z, v.check_log_z_error, v.check_pareto,
              text_of(&v, BML_MCMC_REASON_CORRELATION));
        bml_mcmc_nested_free(s);
    }
    CHECK(refused == RUNS, "a bent sheet: %d of %d runs refused, whose ln Z was off by up to %.1f errors", refused,
          RUNS, worst);
}

/* ---- NUTS ---- */

/* Neal's funnel: v ~ N(0, 3), x_k ~ N(0, exp(v/2)). */
static void funnel(double *lp, double *g, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++) {
        double v = x[i * d];
        double sum = 0;
        for (int k = 1; k < d; k++) {
            double y = x[i * d + k];
            sum += y * y;
            g[i * d + k] = -y * exp(-v);
        }
        lp[i] = -v * v / 18 - 0.5 * (d - 1) * v - 0.5 * sum * exp(-v);
        g[i * d] = -v / 9 - 0.5 * (d - 1) + 0.5 * sum * exp(-v);
    }
}

/* Eight schools (Rubin 1981): mu ~ N(0, 5), tau ~ half-Cauchy(5); user NULL: theta_j ~ N(mu, tau) themselves (centred),
   else z_j with theta_j = mu + tau z_j. */
static void schools(double *lp, double *g, const double *x, int n, int d, void *user) {
    static const double y[8] = {28, 8, -3, 7, -1, 1, 18, 12};
    static const double sigma[8] = {15, 10, 16, 11, 9, 11, 10, 18};
    for (int i = 0; i < n; i++) {
        const double *at = x + i * d;
        double *to = g + i * d;
        double mu = at[0];
        double tau = at[1];
        lp[i] = -mu * mu / 50 - log(1 + tau * tau / 25) - (user ? 0 : 8 * log(tau));
        to[0] = -mu / 25;
        to[1] = -2 * tau / (25 + tau * tau) - (user ? 0 : 8 / tau);
        for (int j = 0; j < 8; j++) {
            double z = user ? at[2 + j] : (at[2 + j] - mu) / tau;
            double pull = (y[j] - mu - tau * z) / (sigma[j] * sigma[j]);
            lp[i] -= 0.5 * z * z + 0.5 * pull * pull * sigma[j] * sigma[j];
            if (user) {
                to[0] += pull;
                to[1] += pull * z;
                to[2 + j] = pull * tau - z;
            } else {
                to[0] += z / tau;
                to[1] += z * z / tau;
                to[2 + j] = pull - z / tau;
            }
        }
    }
}
static void wide_normal(double *lp, double *g, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++) {
        lp[i] = 0;
        for (int k = 0; k < d; k++) {
            double s = pow(10, k % 4);
            lp[i] -= 0.5 * x[i * d + k] * x[i * d + k] / (s * s);
            g[i * d + k] = -x[i * d + k] / (s * s);
        }
    }
}

static void nuts_verdict(bml_mcmc_verdict *v, bml_mcmc_gradient f, int d, void *user, uint64_t number) {
    double theta[40];
    double lower[10];
    bml_mcmc_nuts *s = NULL;
    bml_mcmc_nuts_config c = {.n_dim = d, .seed = number, .log_prob = f, .user = user, .lower = lower};
    for (int k = 0; k < 10; k++)
        lower[k] = -(double)INFINITY;
    if (f == schools) lower[1] = 0;
    for (int i = 0; i < 4 * d; i++)
        theta[i] = 0.1 + 0.1 * (i % 7);
    int status = bml_mcmc_nuts_create(&s, &c, why);
    if (!status) status = bml_mcmc_nuts_start(s, theta);
    if (!status) status = bml_mcmc_nuts_run(s, 1000);
    if (!status) bml_mcmc_nuts_verdict(v, s);
    if (status) CHECK(0, "NUTS: %s: %s", bml_mcmc_strerror(status), s ? bml_mcmc_nuts_message(s) : why);
    bml_mcmc_nuts_free(s);
}

static void test_nuts_refused(void) {
    static int not_centred;
    bml_mcmc_verdict v;
    int refused = 0;
    int runs = quick ? 2 : 6;
    double worst = 0;
    for (int i = 0; i < runs; i++) {
        nuts_verdict(&v, funnel, 10, NULL, seed + (uint64_t)i);
        refused += v.status == BML_MCMC_NOT_CONVERGED;
        worst = fmax(worst, v.e_bfmi);
    }
    CHECK(refused == runs, "funnel, 10-D: %d of %d runs refused; E-BFMI %.3f at most (0.3)", refused, runs, worst);
    CHECK(has(&v, BML_MCMC_REASON_ENERGY, 1), "funnel: %s", text_of(&v, BML_MCMC_REASON_ENERGY));
    refused = 0;
    for (int i = 0; i < runs; i++) {
        nuts_verdict(&v, schools, 10, NULL, seed + (uint64_t)i);
        refused += v.status == BML_MCMC_NOT_CONVERGED && has(&v, BML_MCMC_REASON_DIVERGENCES, 1);
    }
    CHECK(refused == runs, "eight schools, centred: %d of %d refused: %s", refused, runs,
          text_of(&v, BML_MCMC_REASON_DIVERGENCES));
    refused = 0;
    for (int i = 0; i < runs; i++) {
        nuts_verdict(&v, schools, 10, &not_centred, seed + (uint64_t)i);
        refused += v.status != BML_MCMC_OK;
    }
    CHECK(refused <= 1, "eight schools, not centred: %d of %d refused (one may be)", refused, runs);
}

/* ---- chains of any kind ---- */

static void test_chain(void) {
    static const char *const names[3] = {"B", "gamma_max", "delta"};
    enum { N = 2000, W = 8 };
    double *x = malloc(3 * N * W * sizeof *x);
    bml_mcmc_chain chain = {x, NULL, N, W, 3};
    bml_mcmc_verdict v;
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, seed, 3);
    for (int i = 0; i < 3 * N * W; i++)
        x[i] = bml_mcmc_rng_normal(&rng);
    int status = bml_mcmc_chain_verdict(&v, chain, names);
    CHECK(status == BML_MCMC_OK && !v.n_reasons && v.rhat < 1.01,
          "independent draws are blessed: R-hat %.4f, ESS %.0f and %.0f of %d", v.rhat, v.ess_bulk, v.ess_tail, N * W);
    for (int i = 0; i < N * W; i++)
        x[3 * i + 1] = 7;
    status = bml_mcmc_chain_verdict(&v, chain, names);
    CHECK(status == BML_MCMC_NOT_CONVERGED && has(&v, BML_MCMC_REASON_CONSTANT, 1) &&
              strstr(text_of(&v, BML_MCMC_REASON_CONSTANT), "gamma_max"),
          "constant: %s", text_of(&v, BML_MCMC_REASON_CONSTANT));
    for (int i = 0; i < N * W; i++)
        x[3 * i + 1] = bml_mcmc_rng_normal(&rng) + (i % W ? 0 : 3);
    status = bml_mcmc_chain_verdict(&v, chain, names);
    CHECK(status == BML_MCMC_NOT_CONVERGED && has(&v, BML_MCMC_REASON_RHAT, 1) &&
              strstr(text_of(&v, BML_MCMC_REASON_RHAT), "gamma_max"),
          "a walker elsewhere: %s", text_of(&v, BML_MCMC_REASON_RHAT));
    for (int i = 0; i < N * W; i++) /* the same mean, another width: only the folded R-hat sees it */
        x[3 * i + 1] = bml_mcmc_rng_normal(&rng) * (i % W ? 1 : 3);
    status = bml_mcmc_chain_verdict(&v, chain, NULL);
    CHECK(status == BML_MCMC_NOT_CONVERGED && has(&v, BML_MCMC_REASON_RHAT, 1), "a walker that is wider: %s",
          text_of(&v, BML_MCMC_REASON_RHAT));
    CHECK(bml_mcmc_chain_verdict(NULL, chain, NULL) == BML_MCMC_BAD_ARGUMENT, "no place for a verdict");
    chain.n_steps = 4;
    CHECK(bml_mcmc_chain_verdict(&v, chain, NULL) == BML_MCMC_BAD_ARGUMENT, "four steps");
    free(x);
}

/* ---- ensemble: a line with scatter, started from its prior; some walkers are caught where the scatter is 20 ---- */

typedef struct line {
    double x[40];
    double y[40];
    const bml_mcmc_prior *prior;
} line;

static void line_log_prob(double *lp, const double *theta, int n, int d, void *user) {
    const line *l = user;
    for (int i = 0; i < n; i++) {
        const double *t = theta + i * d;
        lp[i] = bml_mcmc_prior_log_density(l->prior, t);
        double variance = 0.09 + exp(2 * t[2]);
        for (int k = 0; k < 40 && lp[i] > -1e300; k++) {
            double r = l->y[k] - t[0] - t[1] * l->x[k];
            lp[i] -= 0.5 * (r * r / variance + log(variance));
        }
    }
}

/* 40 points of y = 1 + 2 x with a scatter, and the prior of the three parameters, for the caller to free. */
static bml_mcmc_prior *make_line(line *l) {
    bml_mcmc_prior_param p[3] = {
        {.lower = -10, .upper = 10}, {.kind = BML_MCMC_NORMAL, .mean = 0, .sd = 5}, {.lower = -5, .upper = 3}};
    bml_mcmc_prior *prior = NULL;
    bml_mcmc_rng g;
    bml_mcmc_rng_init(&g, 7, 0);
    for (int k = 0; k < 40; k++) {
        l->x[k] = k / 4.0;
        l->y[k] = 1 + 2 * l->x[k] + sqrt(0.34) * bml_mcmc_rng_normal(&g);
    }
    if (bml_mcmc_prior_create(&prior, p, 3, why)) CHECK(0, "prior: %s", why);
    l->prior = prior;
    return prior;
}

/* Local moves, which leave walkers behind that a mixture would fetch. */
static const bml_mcmc_move local[2] = {{BML_MCMC_STRETCH, 1, 0, 0}, {BML_MCMC_DE, 3, 0, 0}};

static void test_run_until(void) {
    static const char *const names[3] = {"a", "b", "ln s"};
    line l;
    bml_mcmc_prior *prior = make_line(&l);
    int reached = 0;
    int named = 0;
    int right = 0;
    bml_mcmc_verdict v;
    bml_mcmc_summary s[3];
    enum { RUNS = 6 }; /* the last of them have the default moves */
    char said[BML_MCMC_REASON] = "";
    for (int i = 0; i < RUNS; i++) {
        bml_mcmc_config c = {.n_dim = 3,
                             .seed = seed + (uint64_t)i,
                             .moves = i < 4 ? local : NULL,
                             .n_moves = i < 4 ? 2 : 0,
                             .log_prob = line_log_prob,
                             .user = &l,
                             .prior = prior,
                             .names = names};
        bml_mcmc_ensemble *e = NULL;
        int status = bml_mcmc_ensemble_create(&e, &c, why);
        if (!status) status = bml_mcmc_start_prior(e, prior);
        if (!status) status = bml_mcmc_run_until(e, &v, NULL);
        reached += !status && v.ess_bulk >= 1000 && v.ess_tail >= 1000;
        named += has(&v, BML_MCMC_REASON_STUCK, 0);
        if (has(&v, BML_MCMC_REASON_STUCK, 0)) snprintf(said, sizeof said, "%s", text_of(&v, BML_MCMC_REASON_STUCK));
        if (!status) bml_mcmc_ensemble_summary(e, s, v.burn);
        right += !status && fabs(s[1].mean - 2) < 5 * s[1].sd;
        bml_mcmc_ensemble_free(e);
    }
    CHECK(reached == RUNS && right == RUNS, "run_until reaches its ESS from the prior: %d of %d", reached, (int)RUNS);
    CHECK(named > 0, "and names walkers that were stuck, in %d of %d: %s", named, (int)RUNS, said);
    bml_mcmc_config c = {.n_dim = 3,
                         .moves = local,
                         .n_moves = 2,
                         .log_prob = line_log_prob,
                         .user = &l,
                         .prior = prior,
                         .names = names};
    bml_mcmc_ensemble *e = NULL;
    bml_mcmc_goal goal = {.steps = 3000, .keep_stuck = 1};
    if (bml_mcmc_ensemble_create(&e, &c, why) || bml_mcmc_start_prior(e, prior)) CHECK(0, "line: %s", why);
    int status = bml_mcmc_run_until(e, &v, &goal);
    CHECK(status == BML_MCMC_NOT_CONVERGED && has(&v, BML_MCMC_REASON_RHAT, 1) &&
              has(&v, BML_MCMC_REASON_UNFINISHED, 1),
          "without the rescue it is refused: %s", text_of(&v, BML_MCMC_REASON_RHAT));
    goal.ess = -1;
    CHECK(bml_mcmc_run_until(e, &v, &goal) == BML_MCMC_BAD_ARGUMENT, "an ESS of -1: %s", bml_mcmc_ensemble_message(e));
    bml_mcmc_ensemble_free(e);
    bml_mcmc_prior_free(prior);
}

/* exp(-x/0.05) on [0, 1]: a third of it lies within 2 % of the lower bound. */
static void slope(double *lp, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++) {
        const double *t = x + i * d;
        lp[i] = t[0] < 0 || t[0] > 1 || t[1] < 0 || t[1] > 1 ? -(double)INFINITY : -t[0] / 0.05;
        double y = (t[1] - 0.5) / 0.1;
        lp[i] -= 0.5 * y * y;
    }
}

/* A progress callback that cancels at the step that user points to. */
static int stop_at(const bml_mcmc_progress *now, void *user) {
    return now->step == *(const uint64_t *)user;
}

/* Walkers that were put beside others are named also by a run that was stopped after it, saved, and goes on in another
   sampler; and no longer by one that starts anew. */
static void test_rescue_is_remembered(void) {
    static double state[400000];
    line l;
    bml_mcmc_prior *prior = make_line(&l);
    bml_mcmc_verdict whole = {0};
    bml_mcmc_verdict legs;
    bml_mcmc_ensemble *e = NULL;
    bml_mcmc_ensemble *f = NULL;
    uint64_t last = 0; /* never: the first step is 1 */
    bml_mcmc_config c = {.n_dim = 3,
                         .seed = seed,
                         .moves = local,
                         .n_moves = 2,
                         .log_prob = line_log_prob,
                         .user = &l,
                         .prior = prior,
                         .progress = stop_at,
                         .progress_user = &last};
    bml_mcmc_goal goal = {.ess = 1e6, .steps = 1600};
    int status = 0;
    for (int i = 0; i < 20 && !status && !has(&whole, BML_MCMC_REASON_STUCK, 0); i++) {
        bml_mcmc_ensemble_free(e);
        c.seed++;
        status = bml_mcmc_ensemble_create(&e, &c, why);
        if (!status) status = bml_mcmc_start_prior(e, prior);
        if (!status) bml_mcmc_run_until(e, &whole, &goal);
    }
    CHECK(has(&whole, BML_MCMC_REASON_STUCK, 0), "walkers are stuck: %s", text_of(&whole, BML_MCMC_REASON_STUCK));
    last = 1500; /* long after they were moved */
    if (!status) status = bml_mcmc_start_prior(e, prior);
    CHECK(bml_mcmc_run_until(e, &legs, &goal) == BML_MCMC_CANCELLED, "stopped: %s", bml_mcmc_ensemble_message(e));
    if (!status) status = bml_mcmc_ensemble_create(&f, &c, why);
    if (!status) status = bml_mcmc_ensemble_save(e, state, sizeof state);
    if (!status) status = bml_mcmc_ensemble_load(f, state, sizeof state);
    CHECK(!status, "saved and loaded: %s, %s", bml_mcmc_ensemble_message(e), bml_mcmc_ensemble_message(f));
    last = 0;
    goal.steps = 100;
    bml_mcmc_run_until(f, &legs, &goal);
    CHECK(!strcmp(text_of(&legs, BML_MCMC_REASON_STUCK), text_of(&whole, BML_MCMC_REASON_STUCK)), "after the stop: %s",
          text_of(&legs, BML_MCMC_REASON_STUCK));
    double center[3] = {1, 2, -0.5};
    double radius[3] = {0.1, 0.1, 0.1};
    bml_mcmc_start_ball(f, center, radius);
    bml_mcmc_run_until(f, &legs, &goal);
    CHECK(!has(&legs, BML_MCMC_REASON_STUCK, 0), "not after a new start: %s", text_of(&legs, BML_MCMC_REASON_STUCK));
    bml_mcmc_ensemble_free(e);
    bml_mcmc_ensemble_free(f);
    bml_mcmc_prior_free(prior);
}

static void test_edges(void) {
    static const char *const names[2] = {"fluence", "index"};
    bml_mcmc_prior_param p[2] = {{.lower = 0, .upper = 1}, {.lower = 0, .upper = 1}};
    bml_mcmc_prior *prior = NULL;
    bml_mcmc_verdict v;
    if (bml_mcmc_prior_create(&prior, p, 2, why)) CHECK(0, "prior: %s", why);
    bml_mcmc_config c = {.n_dim = 2, .seed = seed, .log_prob = slope, .prior = prior, .names = names};
    bml_mcmc_ensemble *e = NULL;
    if (bml_mcmc_ensemble_create(&e, &c, why) || bml_mcmc_start_prior(e, prior)) CHECK(0, "edge: %s", why);
    int status = bml_mcmc_run_until(e, &v, NULL);
    CHECK(!status && has(&v, BML_MCMC_REASON_EDGE, 0) && strstr(text_of(&v, BML_MCMC_REASON_EDGE), "fluence"),
          "ensemble: %s", text_of(&v, BML_MCMC_REASON_EDGE));
    double mass = v.n_reasons ? v.reason[0].value : 0;
    CHECK_NEAR(mass, 1 - exp(-0.4), 0.06, "and how much");
    bml_mcmc_ensemble_free(e);
    bml_mcmc_nested_config n = {.n_dim = 2, .seed = seed, .log_likelihood = slope, .prior = prior, .names = names};
    bml_mcmc_nested *s = NULL;
    if (bml_mcmc_nested_create(&s, &n, why) || bml_mcmc_nested_run(s, 0)) CHECK(0, "edge: %s", why);
    status = bml_mcmc_nested_verdict(&v, s);
    CHECK(!status && has(&v, BML_MCMC_REASON_EDGE, 0) && strstr(text_of(&v, BML_MCMC_REASON_EDGE), "fluence"),
          "nested: %s", text_of(&v, BML_MCMC_REASON_EDGE));
    double truth = log(0.05 * (1 - exp(-20)) * 0.1 * sqrt(2 * 3.141592653589793));
    CHECK(fabs(v.check_log_z - truth) < 4.5 * v.check_log_z_error + 1e-3 && v.check_ess > 100,
          "nested: ln Z by %d fresh draws: %.4f +- %.4f, truth %.4f", (int)v.check_evaluations, v.check_log_z,
          v.check_log_z_error, truth);
    bml_mcmc_nested_free(s);
    bml_mcmc_prior_free(prior);
}

/* ---- nested sampling ---- */

/* A normal of correlation 0.95 in [-5, 5]^d. */
static void correlated(double *lp, const double *x, int n, int d, void *user) {
    double rho = 0.95;
    double a = 1 / (1 - rho);
    double b = rho / ((1 - rho) * (1 + (d - 1) * rho));
    (void)user;
    for (int i = 0; i < n; i++) {
        double sum = 0;
        double sum2 = 0;
        for (int k = 0; k < d; k++) {
            sum += x[i * d + k];
            sum2 += x[i * d + k] * x[i * d + k];
        }
        lp[i] = -0.5 * (a * sum2 - b * sum * sum);
    }
}
static double correlated_log_z(int d) {
    double log_det = (d - 1) * log(0.05) + log(1 + (d - 1) * 0.95);
    return 0.5 * log_det + 0.5 * d * log(2 * 3.141592653589793) - d * log(10.0);
}
static int box(double *theta, const double *cube, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n * d; i++)
        theta[i] = 10 * cube[i] - 5;
    return 0;
}

/* A likelihood that hides half of its mass from the run, as a sampler does that loses volume, and not from the check. */
typedef struct liar {
    long asked;
} liar;
static void lies(double *lp, const double *x, int n, int d, void *user) {
    liar *l = user;
    correlated(lp, x, n, d, NULL);
    for (int i = 0; i < n; i++) {
        l->asked++;
        if (l->asked < 1000000 && x[i * d] > 0) lp[i] -= 50;
    }
}

static void test_nested_verdict(void) {
    bml_mcmc_verdict v;
    bml_mcmc_nested_result r;
    liar l = {0};
    bml_mcmc_nested_config c = {
        .n_dim = 4, .live_points = 1000, .seed = seed, .log_likelihood = lies, .user = &l, .transform = box};
    bml_mcmc_nested *s = NULL;
    if (bml_mcmc_nested_create(&s, &c, why)) CHECK(0, "nested: %s", why);
    CHECK(bml_mcmc_nested_verdict(&v, s) == BML_MCMC_NOT_STARTED, "nested: no verdict before the run");
    int status = bml_mcmc_nested_run(s, 0);
    bml_mcmc_nested_get_result(s, &r);
    l.asked = 1000000;
    if (!status) status = bml_mcmc_nested_verdict(&v, s);
    CHECK(status == BML_MCMC_NOT_CONVERGED && has(&v, BML_MCMC_REASON_EVIDENCE, 1),
          "a run that lost volume (%d calls; check %.3f +- %.3f, ESS %.0f): %s", (int)r.evaluations, v.check_log_z,
          v.check_log_z_error, v.check_ess, text_of(&v, BML_MCMC_REASON_EVIDENCE));
    bml_mcmc_nested_free(s);
    c.log_likelihood = correlated;
    if (bml_mcmc_nested_create(&s, &c, why)) CHECK(0, "nested: %s", why);
    status = bml_mcmc_nested_run(s, 2000);
    int judged = bml_mcmc_nested_verdict(&v, s);
    CHECK(status == BML_MCMC_NOT_CONVERGED && judged == status && has(&v, BML_MCMC_REASON_UNFINISHED, 1),
          "a run cut short: %s", text_of(&v, BML_MCMC_REASON_UNFINISHED));
    uint64_t before = 0;
    bml_mcmc_nested_get_result(s, &r);
    before = r.evaluations;
    status = bml_mcmc_nested_run(s, 0);
    bml_mcmc_nested_get_result(s, &r);
    double log_z = r.log_z;
    CHECK(!status && r.evaluations > before, "and it goes on as if the verdict had not asked");
    bml_mcmc_nested_free(s);
    if (bml_mcmc_nested_create(&s, &c, why) || bml_mcmc_nested_run(s, 0)) CHECK(0, "nested: %s", why);
    bml_mcmc_nested_get_result(s, &r);
    CHECK(r.log_z == log_z, "to the bit");
    bml_mcmc_nested_free(s);
}

/* ---- no crying wolf ---- */

static void test_right_answers(void) {
    int runs = thorough ? 100 : quick ? 4 : 8;
    int right = 0;
    int refused = 0;
    bml_mcmc_verdict v;
    for (int i = 0; i < runs; i++) {
        bml_mcmc_nested_config c = {.n_dim = 2 + i % 3,
                                    .live_points = 100,
                                    .seed = seed + 100 + (uint64_t)i,
                                    .log_likelihood = correlated,
                                    .transform = box};
        bml_mcmc_nested *s = NULL;
        bml_mcmc_nested_result r = {0};
        if (bml_mcmc_nested_create(&s, &c, why) || bml_mcmc_nested_run(s, 0)) CHECK(0, "nested: %s", why);
        bml_mcmc_nested_get_result(s, &r);
        bml_mcmc_nested_verdict(&v, s);
        int good = fabs(r.log_z - correlated_log_z(c.n_dim)) < 3.5 * r.log_z_error;
        right += good;
        refused += good && v.status;
        bml_mcmc_nested_free(s);
    }
    for (int i = 0; i < runs; i++) {
        nuts_verdict(&v, wide_normal, 8, NULL, seed + 100 + (uint64_t)i);
        right++;
        refused += v.status != 0;
    }
    for (int i = 0; i < runs; i++) {
        double zero[4] = {0, 0, 0, 0};
        double one[4] = {1, 1, 1, 1};
        bml_mcmc_config c = {.n_dim = 4, .seed = seed + 100 + (uint64_t)i, .log_prob = correlated};
        bml_mcmc_ensemble *e = NULL;
        if (bml_mcmc_ensemble_create(&e, &c, why) || bml_mcmc_start_ball(e, zero, one)) CHECK(0, "ensemble: %s", why);
        right++;
        refused += bml_mcmc_run_until(e, &v, NULL) != 0;
        bml_mcmc_ensemble_free(e);
    }
    /* 2 % of right, and three standard deviations of a count of that mean */
    double allowed = 0.02 * right + 3 * sqrt(0.02 * right);
    CHECK(refused <= allowed, "%d of %d right answers were refused (2 %% and chance: %.1f)", refused, right, allowed);
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
    quick = getenv("BML_CHECK_QUICK") != NULL;
    thorough = getenv("BML_CHECK_LONG") != NULL;
    test_arviz();
    test_chain();
    test_run_until();
    test_rescue_is_remembered();
    test_edges();
    test_nested_verdict();
    test_sheet();
    test_nuts_refused();
    test_right_answers();
    return check_done();
}
