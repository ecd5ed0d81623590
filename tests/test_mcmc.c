/* test_mcmc.c: bml_mcmc.h against closed forms. Statistical tests compare a mean over the chain with its true value in
   units of sd/sqrt(ess), ess from the chain itself, and allow 5: about 300 such comparisons of a normal deviate fail by
   chance once in 6,000 runs. BML_CHECK_LONG=1: chains of twice the length, three times the data sets, and all that a summary says. */
#include "check.h"
#include <float.h>
#include <stdint.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

#define K_SIGMA 5.0
#define PI 3.14159265358979323846
static const double infinite = (double)INFINITY, not_a_number = (double)NAN;
static uint64_t seed;
static int longer;

/* The length of a chain whose moments are compared in units of their own errors: half, without BML_CHECK_LONG. */
static size_t steps(size_t n) {
    return longer ? n : n / 2;
}

/* ---- targets ---- */

/* Correlated normal: x_0 ~ N(0,1), x_k = 0.9 x_{k-1} + sqrt(0.19) n, means 0, variances 1, neighbours correlated by 0.9. */
static void correlated(double *lp, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d) {
        lp[i] = -0.5 * x[0] * x[0];
        for (int k = 1; k < d; k++)
            lp[i] -= 0.5 * (x[k] - 0.9 * x[k - 1]) * (x[k] - 0.9 * x[k - 1]) / 0.19;
    }
}
static void isotropic(double *lp, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d) {
        lp[i] = 0;
        for (int k = 0; k < d; k++)
            lp[i] -= 0.5 * x[k] * x[k];
    }
}
/* exp(-5 (y - x^2)^2 - (1 - x)^2/(2 v)), v = *user, 1/2 without: x ~ N(1, v), y ~ N(x^2, 0.1). v = 10 is the density of Goodman
   & Weare (2010), whose long thin arms are hard for every sampler. */
static void rosenbrock(double *lp, const double *x, int n, int d, void *user) {
    double v = user ? *(double *)user : 0.5;
    for (int i = 0; i < n; i++, x += d)
        lp[i] = -5 * (x[1] - x[0] * x[0]) * (x[1] - x[0] * x[0]) - (1 - x[0]) * (1 - x[0]) / (2 * v);
}
/* exponential in x > 0, uniform in 0 < y < 1, half-normal in z > 0 */
static void truncated(double *lp, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d)
        lp[i] = x[0] > 0 && x[1] > 0 && x[1] < 1 && x[2] > 0 ? -x[0] - 0.5 * x[2] * x[2] : -infinite;
}

/* A wrong surrogate for each of them, told apart by the dimension: moved and widened; without the walls; widened. Its tails
   are heavier than the target's, as the header asks: under lighter ones the ratio of the two has no bound, and no chain
   length is enough. */
static void approximate(double *lp, const double *x, int n, int d, void *user) {
    double y[4] = {0};
    for (int i = 0; i < n; i++, x += d) {
        for (int k = 0; k < d && k < 4; k++)
            y[k] = x[k] - 0.3;
        if (d == 4)
            correlated(lp + i, y, 1, d, user);
        else if (d == 2)
            rosenbrock(lp + i, x, 1, d, user);
        else
            lp[i] = -fabs(y[0]) - fabs(y[1]) - fabs(y[2]);
        lp[i] *= 0.6;
    }
}

static void nan_everywhere(double *lp, const double *x, int n, int d, void *user) {
    (void)lp;
    (void)x;
    (void)n;
    (void)d;
    (void)user; /* answers nothing */
}
static void nowhere(double *lp, const double *x, int n, int d, void *user) {
    (void)x;
    (void)d;
    (void)user;
    for (int i = 0; i < n; i++)
        lp[i] = -infinite;
}

/* ---- helpers ---- */

static char why[BML_MCMC_MESSAGE]; /* what the last create had to say */

static bml_mcmc_config make_config(int n_dim, int n_walkers, bml_mcmc_log_prob f) {
    bml_mcmc_config c = {.n_dim = n_dim, .n_walkers = n_walkers, .seed = seed, .log_prob = f};
    return c;
}

static bml_mcmc_ensemble *begin(const bml_mcmc_config *config, double center, double radius) {
    double c[16];
    double r[16];
    bml_mcmc_ensemble *e;
    int status = bml_mcmc_ensemble_create(&e, config, why);
    for (int k = 0; k < 16; k++) {
        c[k] = center;
        r[k] = radius;
    }
    if (!status) status = bml_mcmc_start_ball(e, c, r);
    if (status) CHECK(0, "begin: %s: %s", bml_mcmc_strerror(status), e ? bml_mcmc_ensemble_message(e) : why);
    return e;
}

static int same_chain(bml_mcmc_chain a, bml_mcmc_chain b) {
    size_t rows = a.n_steps * (size_t)a.n_walkers;
    return a.n_steps == b.n_steps && rows > 0 && !memcmp(a.theta, b.theta, rows * (size_t)a.n_dim * sizeof(double)) &&
           !memcmp(a.log_prob, b.log_prob, rows * sizeof(double));
}

/* The deviation of the mean of f[rows][m], column k, from truth in units of its error, by the chain's own tau. */
static double deviation(const double *f, size_t rows, int m, int k, double truth, double tau) {
    double mean = 0;
    double square = 0;
    for (size_t i = 0; i < rows; i++) {
        double x = f[i * (size_t)m + (size_t)k] - truth;
        mean += x / (double)rows;
        square += x * x / (double)rows;
    }
    return fabs(mean) / sqrt((square - mean * mean) * tau / (double)rows);
}

/* Means over the chain of all x_i, x_i^2 and x_i x_{i+1} (in this order) against truth: the largest deviation in sigma. The
   autocorrelation times are all that this needs of a summary, which sorts as well: BML_CHECK_LONG asks for its verdict. */
static double worst_deviation(bml_mcmc_chain chain, const double *truth, int *status) {
    int d = chain.n_dim;
    int m = 3 * d - 1;
    size_t rows = chain.n_steps * (size_t)chain.n_walkers;
    double *f = malloc(rows * (size_t)m * sizeof *f);
    double worst = 0;
    double tau[64];
    bml_mcmc_summary s[64];
    bml_mcmc_chain derived = {f, NULL, chain.n_steps, chain.n_walkers, m};
    for (size_t i = 0; i < rows; i++) {
        const double *x = chain.theta + i * (size_t)d;
        double *y = f + i * (size_t)m;
        for (int k = 0; k < d; k++) {
            y[k] = x[k];
            y[d + k] = x[k] * x[k];
        }
        for (int k = 0; k + 1 < d; k++)
            y[2 * d + k] = x[k] * x[k + 1];
    }
    *status = bml_mcmc_autocorrelation(tau, derived);
    if (!*status && longer) *status = bml_mcmc_summarize(s, derived);
    for (int k = 0; k < m; k++) {
        double z = deviation(f, rows, m, k, truth[k], tau[k]);
        if (!(z <= worst)) worst = z;
    }
    free(f);
    return worst;
}

typedef struct target {
    const char *name;
    bml_mcmc_log_prob f;
    int n_dim;
    double center, radius;
    double truth[24];
} target;

static const target targets[3] = {
    {"correlated normal, 4-D", correlated, 4, 0, 1, {0, 0, 0, 0, 1, 1, 1, 1, 0.9, 0.9, 0.9}},
    {"truncated, 3-D", truncated, 3, 0.5, 0.5, {1, 0.5, 0.7978845608028654, 2, 1.0 / 3, 1, 0.5, 0.3989422804014327}},
    /* E y = E x^2 = 1 + v, E y^2 = E x^4 + 0.1 = 1 + 6 v + 3 v^2 + 0.1, E x y = E x^3 = 1 + 3 v */
    {"Rosenbrock, 2-D", rosenbrock, 2, 1, 0.5, {1, 1.5, 1.5, 4.85, 2.5}},
};

static void check_moments(const target *t, const bml_mcmc_move *moves, int n_moves, size_t n_steps) {
    bml_mcmc_config c = make_config(t->n_dim, 40, t->f);
    char name[128] = "";
    c.moves = moves;
    c.n_moves = n_moves;
    c.surrogate = approximate;
    for (int i = 0; i < n_moves; i++)
        snprintf(name + strlen(name), sizeof name - strlen(name), "%s%s", i ? "+" : "",
                 bml_mcmc_move_name(moves[i].kind));
    bml_mcmc_ensemble *e = begin(&c, t->center, t->radius);
    int status = bml_mcmc_run(e, n_steps);
    CHECK(!status, "%s, %s: run", t->name, name);
    double worst = worst_deviation(bml_mcmc_chain_drop(bml_mcmc_ensemble_chain(e), n_steps / 10), t->truth, &status);
    CHECK(status == BML_MCMC_OK && worst <= K_SIGMA, "%s, %s: moments, largest deviation %.2f sigma of %g allowed (%s)",
          t->name, name, worst, K_SIGMA, bml_mcmc_strerror(status));
    bml_mcmc_ensemble_free(e);
}

/* ---- random numbers ---- */

static void test_rng(void) {
    /* Random123's published known answers for philox4x32-10: counter, key, output */
    static const uint32_t known[3][10] = {{0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                                          {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff,
                                           0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                                          {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0,
                                           0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
    double m1 = 0;
    double m2 = 0;
    double m4 = 0;
    double u1 = 0;
    double u2 = 0;
    double lo = 1;
    double hi = 0;
    int n = 400000;
    int same = 1;
    int differ = 0;
    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        bml_mcmc_philox(out, known[i], known[i] + 4);
        CHECK(!memcmp(out, known[i] + 6, sizeof out), "Philox4x32-10 known answer %d: %08x", i, (unsigned)out[0]);
    }
    bml_mcmc_rng r;
    bml_mcmc_rng_init(&r, seed, 0);
    for (int i = 0; i < n; i++) {
        double u = bml_mcmc_rng_uniform(&r);
        double g = bml_mcmc_rng_normal(&r);
        u1 += u / n;
        u2 += u * u / n;
        m1 += g / n;
        m2 += g * g / n;
        m4 += g * g * g * g / n;
        lo = u < lo ? u : lo;
        hi = u > hi ? u : hi;
    }
    /* variances of u, u^2, g, g^2, g^4: 1/12, 4/45, 1, 2, 96 */
    CHECK_NEAR(u1, 0.5, K_SIGMA * sqrt(1 / 12.0 / n), "uniform mean");
    CHECK_NEAR(u2, 1 / 3.0, K_SIGMA * sqrt(4 / 45.0 / n), "uniform second moment");
    CHECK_NEAR(m1, 0, K_SIGMA * sqrt(1.0 / n), "normal mean");
    CHECK_NEAR(m2, 1, K_SIGMA * sqrt(2.0 / n), "normal variance");
    CHECK_NEAR(m4, 3, K_SIGMA * sqrt(96.0 / n), "normal fourth moment");
    CHECK(lo > 0 && hi < 1, "uniform stays inside (0,1)");
    bml_mcmc_rng saved = r;
    bml_mcmc_rng other;
    bml_mcmc_rng_init(&other, seed, 1);
    for (int i = 0; i < 100; i++) {
        uint32_t a = bml_mcmc_rng_u32(&r);
        same &= a == bml_mcmc_rng_u32(&saved);
        differ += a != bml_mcmc_rng_u32(&other);
    }
    CHECK(same, "a copied generator goes on with the same numbers");
    CHECK(differ > 98, "another stream has other numbers");
}

/* ---- the sampler ---- */

static void test_moments(void) {
    static const bml_mcmc_move alone[BML_MCMC_N_MOVES] = {{BML_MCMC_STRETCH, 0, 0, 0},   {BML_MCMC_WALK, 0, 0, 0},
                                                          {BML_MCMC_DE, 0, 0, 0},        {BML_MCMC_SNOOKER, 0, 0, 0},
                                                          {BML_MCMC_KDE, 0, 0, 0},       {BML_MCMC_MIXTURE, 0, 0, 0},
                                                          {BML_MCMC_SURROGATE, 0, 0, 10}};
    static const bml_mcmc_move local[4] = {
        {BML_MCMC_STRETCH, 1, 0, 0}, {BML_MCMC_WALK, 1, 0, 5}, {BML_MCMC_DE, 1, 0, 0}, {BML_MCMC_SNOOKER, 1, 0, 0}};
    static const bml_mcmc_move global[2] = {{BML_MCMC_DE, 1, 0, 0}, {BML_MCMC_MIXTURE, 2, 1.2, 3}};
    static const bml_mcmc_move all[3] = {
        {BML_MCMC_KDE, 1, 0.7, 0}, {BML_MCMC_MIXTURE, 1, 0, 2}, {BML_MCMC_STRETCH, 1, 3, 0}};
    for (int t = 0; t < 2; t++)
        for (int m = 0; m < BML_MCMC_N_MOVES; m++)
            check_moments(&targets[t], &alone[m], 1, steps(8000));
    for (int t = 0; t < 3; t++) {
        check_moments(&targets[t], local, 4, steps(7000));
        check_moments(&targets[t], global, 2, steps(7000));
        check_moments(&targets[t], all, 3, steps(7000));
    }
}

/* v = 10: the walkers' visits to the arms are so rare that tau of y^2, from a window of 5 tau, misses part of it, and that
   no affordable burn-in fills them. So 20 independent runs start from exact draws of the density, which a right sampler
   keeps, and the error comes from their scatter: Student's t of 19 degrees of freedom, |t| > 7 once in 10^6. */
static void test_rosenbrock_arms(void) {
    static const bml_mcmc_move moves[2] = {{BML_MCMC_DE, 1, 0, 0}, {BML_MCMC_MIXTURE, 1, 0, 4}};
    static const double truth[5] = {1, 11, 11, 361.1, 31};
    double mean[5] = {0};
    double mean2[5] = {0};
    double v = 10;
    double worst = 0;
    enum { RUNS = 20 };
    for (int run = 0; run < RUNS; run++) {
        bml_mcmc_config c = make_config(2, 40, rosenbrock);
        double f[5] = {0};
        double start[40][2];
        c.user = &v;
        c.moves = moves;
        c.n_moves = 2;
        c.seed = seed * 1000 + (uint64_t)run;
        bml_mcmc_rng r;
        bml_mcmc_rng_init(&r, c.seed, 10);
        for (int w = 0; w < 40; w++) {
            start[w][0] = 1 + sqrt(v) * bml_mcmc_rng_normal(&r);
            start[w][1] = start[w][0] * start[w][0] + sqrt(0.1) * bml_mcmc_rng_normal(&r);
        }
        bml_mcmc_ensemble *e;
        bml_mcmc_ensemble_create(&e, &c, why);
        bml_mcmc_start_given(e, start[0]);
        if (bml_mcmc_run(e, longer ? 6000 : 1500)) CHECK(0, "Rosenbrock: %s", bml_mcmc_ensemble_message(e));
        bml_mcmc_chain chain = bml_mcmc_ensemble_chain(e);
        double rows = (double)chain.n_steps * chain.n_walkers;
        for (const double *x = chain.theta; x < chain.theta + 2 * (size_t)rows; x += 2) {
            f[0] += x[0];
            f[1] += x[1];
            f[2] += x[0] * x[0];
            f[3] += x[1] * x[1];
            f[4] += x[0] * x[1];
        }
        for (int k = 0; k < 5; k++) {
            mean[k] += f[k] / rows / RUNS;
            mean2[k] += f[k] / rows * f[k] / rows / RUNS;
        }
        bml_mcmc_ensemble_free(e);
    }
    for (int k = 0; k < 5; k++) {
        double t = fabs(mean[k] - truth[k]) / sqrt((mean2[k] - mean[k] * mean[k]) / (RUNS - 1));
        if (!(t <= worst)) worst = t;
    }
    CHECK(worst <= 7,
          "Rosenbrock of Goodman & Weare, 20 runs: y^2 = %.1f (361.1), largest deviation t = %.2f of 7 allowed",
          mean[3], worst);
}

/* The ensemble must be right also where its halves hardly span the space: 2 n_dim + 4 walkers in 6 dimensions. */
static void test_few_walkers(void) {
    static const bml_mcmc_move moves[2] = {{BML_MCMC_MIXTURE, 1, 0, 0}, {BML_MCMC_KDE, 1, 0, 0}};
    double truth[24] = {0};
    for (int m = 0; m < 2; m++) {
        bml_mcmc_config c = make_config(6, 16, isotropic);
        for (int k = 6; k < 12; k++)
            truth[k] = 1;
        c.moves = &moves[m];
        c.n_moves = 1;
        bml_mcmc_ensemble *e = begin(&c, 0, 1);
        bml_mcmc_run(e, steps(20000));
        int status;
        double worst = worst_deviation(bml_mcmc_chain_drop(bml_mcmc_ensemble_chain(e), 1000), truth, &status);
        CHECK(!status && worst <= K_SIGMA, "%s, 16 walkers in 6-D: largest deviation %.2f sigma (%s)",
              bml_mcmc_move_name(moves[m].kind), worst, bml_mcmc_strerror(status));
        bml_mcmc_ensemble_free(e);
    }
}

/* The mixture that emcee 3.1.4 gets wrong: sd 0.949 in place of 1. */
static void test_snooker(void) {
    static const bml_mcmc_move moves[2] = {{BML_MCMC_DE, 0.8, 0, 0}, {BML_MCMC_SNOOKER, 0.2, 0, 0}};
    bml_mcmc_config c = make_config(8, 48, isotropic);
    bml_mcmc_summary s[8];
    double sd = 0;
    double truth[24] = {0};
    for (int k = 8; k < 16; k++)
        truth[k] = 1;
    c.moves = moves;
    c.n_moves = 2;
    bml_mcmc_ensemble *e = begin(&c, 0, 1);
    size_t n = steps(20000);
    bml_mcmc_run(e, n);
    int status = bml_mcmc_ensemble_summary(e, s, n / 20);
    for (int k = 0; k < 8; k++)
        sd += s[k].sd / 8;
    CHECK(!status, "8-D normal, DE 80 %% + snooker 20 %%: converged");
    /* relative error of each sd is about sqrt(tau/(2 N)), N = 912,000 of 20,000 steps, tau 40: 0.005; 0.01 is 5 sigma of the
       mean of eight */
    CHECK_NEAR(sd, 1, 0.01 * sqrt(20000.0 / (double)n), "8-D normal, DE 80 % + snooker 20 %: sd");
    double worst = worst_deviation(bml_mcmc_chain_drop(bml_mcmc_ensemble_chain(e), n / 20), truth, &status);
    CHECK_LE(worst, K_SIGMA, "the same: all moments, deviation in sigma");
    bml_mcmc_ensemble_free(e);
}

static const bml_mcmc_move every_move[BML_MCMC_N_MOVES] = {
    {BML_MCMC_STRETCH, 1, 0, 0}, {BML_MCMC_WALK, 1, 0, 0},    {BML_MCMC_DE, 1, 0, 0},       {BML_MCMC_SNOOKER, 1, 0, 0},
    {BML_MCMC_KDE, 1, 0, 0},     {BML_MCMC_MIXTURE, 1, 0, 0}, {BML_MCMC_SURROGATE, 1, 0, 5}};

/* Reference points from a normal of twice the width: the mixture is fitted to them, not to the ensemble, also inside the
   surrogate move, and the moments stay those of the target. The points may be forgotten after create. */
static void test_reference(void) {
    static const bml_mcmc_move mixture[1] = {{BML_MCMC_MIXTURE, 1, 0, 0}};
    static const bml_mcmc_move screened[2] = {{BML_MCMC_SURROGATE, 3, 0, 10}, {BML_MCMC_STRETCH, 1, 0, 0}};
    const double truth[11] = {0, 0, 0, 0, 1, 1, 1, 1, 0.9, 0.9, 0.9};
    double *points = malloc(4000 * sizeof *points);
    bml_mcmc_rng r;
    bml_mcmc_rng_init(&r, seed, 77);
    for (int m = 0; m < 2; m++) {
        bml_mcmc_config c = make_config(4, 20, correlated);
        for (int i = 0; i < 4000; i++)
            points[i] =
                i % 4 ? 0.9 * points[i - 1] + 2 * sqrt(0.19) * bml_mcmc_rng_normal(&r) : 2 * bml_mcmc_rng_normal(&r);
        c.reference = points;
        c.n_reference = 1000;
        c.surrogate = approximate;
        c.moves = m ? screened : mixture;
        c.n_moves = m ? 2 : 1;
        bml_mcmc_ensemble *e = begin(&c, 0, 1);
        for (int i = 0; i < 4000; i++)
            points[i] = not_a_number;
        CHECK(!bml_mcmc_run(e, steps(6000)), "reference points, %s: run", bml_mcmc_move_name(c.moves[0].kind));
        bml_mcmc_ensemble_info info = bml_mcmc_ensemble_get_info(e);
        int status;
        double worst = worst_deviation(bml_mcmc_chain_drop(bml_mcmc_ensemble_chain(e), 300), truth, &status);
        CHECK(!status && worst <= K_SIGMA, "moments, largest deviation %.2f sigma of %g allowed; %.0f %% accepted",
              worst, K_SIGMA, 100 * (double)info.moves_accepted[0] / (double)info.moves_proposed[0]);
        bml_mcmc_ensemble_free(e);
    }
    free(points);
}

/* A surrogate that says NaN is an error that names it; one that says "impossible" everywhere moves nobody. */
static void test_bad_surrogates(void) {
    static const bml_mcmc_move moves[1] = {{BML_MCMC_SURROGATE, 1, 0, 3}};
    bml_mcmc_config c = make_config(4, 20, correlated);
    c.moves = moves;
    c.n_moves = 1;
    c.surrogate = nan_everywhere;
    bml_mcmc_ensemble *e = begin(&c, 0, 1);
    CHECK(bml_mcmc_run(e, 1) == BML_MCMC_NAN && strstr(bml_mcmc_ensemble_message(e), "surrogate"), "refused: %s",
          bml_mcmc_ensemble_message(e));
    bml_mcmc_ensemble_free(e);
    c.surrogate = nowhere;
    e = begin(&c, 0, 1);
    CHECK(!bml_mcmc_run(e, 10) && bml_mcmc_ensemble_get_info(e).moves_accepted[0] == 0,
          "a surrogate of zero everywhere moves nobody");
    bml_mcmc_ensemble_free(e);
}

static bml_mcmc_config every_config(void) {
    bml_mcmc_config c = make_config(4, 20, correlated);
    c.moves = every_move;
    c.n_moves = BML_MCMC_N_MOVES;
    c.surrogate = approximate;
    return c;
}

static void test_append_and_thin(void) {
    bml_mcmc_config c = every_config();
    bml_mcmc_config thin = c;
    bml_mcmc_config other = c;
    bml_mcmc_ensemble *a = begin(&c, 0, 1);
    bml_mcmc_ensemble *b = begin(&c, 0, 1);
    int equal = 1;
    thin.thin = 3;
    other.seed = seed + 1;
    bml_mcmc_ensemble *t = begin(&thin, 0, 1);
    bml_mcmc_ensemble *o = begin(&other, 0, 1);
    bml_mcmc_run(a, 300);
    bml_mcmc_run(b, 100);
    bml_mcmc_run(b, 0);
    bml_mcmc_run(b, 200);
    CHECK(same_chain(bml_mcmc_ensemble_chain(a), bml_mcmc_ensemble_chain(b)), "100 + 200 steps equal 300 to the bit");
    bml_mcmc_run(t, 100);
    bml_mcmc_run(t, 200);
    bml_mcmc_chain ca = bml_mcmc_ensemble_chain(a);
    bml_mcmc_chain ct = bml_mcmc_ensemble_chain(t);
    CHECK(ct.n_steps == 100, "thin 3 keeps 100 of 300 steps");
    for (size_t i = 0; i < ct.n_steps; i++)
        equal &= !memcmp(ct.theta + i * 80, ca.theta + (3 * i + 2) * 80, 80 * sizeof(double));
    CHECK(equal, "they are every third step of the unthinned chain");
    bml_mcmc_run(o, 300);
    CHECK(!same_chain(ca, bml_mcmc_ensemble_chain(o)), "another seed, another chain");
    bml_mcmc_ensemble_clear(b);
    CHECK(bml_mcmc_ensemble_chain(b).n_steps == 0 && bml_mcmc_ensemble_get_info(b).step == 300,
          "clear forgets the chain, not the step");
    bml_mcmc_run(a, 50);
    bml_mcmc_run(b, 50);
    CHECK(same_chain(bml_mcmc_chain_drop(bml_mcmc_ensemble_chain(a), 300), bml_mcmc_ensemble_chain(b)),
          "and goes on as without it");
    bml_mcmc_ensemble_free(a);
    bml_mcmc_ensemble_free(b);
    bml_mcmc_ensemble_free(t);
    bml_mcmc_ensemble_free(o);
}

/* The same answers in another order, or by several threads. */
static void correlated_backwards(double *lp, const double *x, int n, int d, void *user) {
    for (int i = n - 1; i >= 0; i--)
        correlated(lp + i, x + i * d, 1, d, user);
}
static void correlated_threads(double *lp, const double *x, int n, int d, void *user) {
#ifdef _OPENMP
#pragma omp parallel for num_threads(*(int *)user)
#endif
    for (int i = 0; i < n; i++)
        correlated(lp + i, x + i * d, 1, d, user);
}

static void test_threads(void) {
    bml_mcmc_config c = every_config();
    bml_mcmc_ensemble *a = begin(&c, 0, 1);
    bml_mcmc_run(a, 200);
    c.log_prob = correlated_backwards;
    bml_mcmc_ensemble *b = begin(&c, 0, 1);
    bml_mcmc_run(b, 200);
    CHECK(same_chain(bml_mcmc_ensemble_chain(a), bml_mcmc_ensemble_chain(b)),
          "the order of evaluation does not matter");
    bml_mcmc_ensemble_free(b);
    int threads;
#ifndef _OPENMP
    SKIP("thread counts: compiled without OpenMP");
    threads = 4;
#else
    threads = 1;
#endif
    for (c.log_prob = correlated_threads, c.user = &threads; threads <= 3; threads++) {
        b = begin(&c, 0, 1);
        bml_mcmc_run(b, 200);
        CHECK(same_chain(bml_mcmc_ensemble_chain(a), bml_mcmc_ensemble_chain(b)),
              "%d threads: the same chain to the bit", threads);
        bml_mcmc_ensemble_free(b);
    }
    bml_mcmc_ensemble_free(a);
}

static void test_save(void) {
    bml_mcmc_config c = every_config();
    bml_mcmc_config other = c;
    bml_mcmc_ensemble *a = begin(&c, 0, 1);
    int refused = 0;
    int tried = 0;
    bml_mcmc_run(a, 100);
    size_t size = bml_mcmc_ensemble_save_size(a);
    unsigned char *buffer = malloc(size);
    CHECK(bml_mcmc_ensemble_save(a, buffer, size - 1) == BML_MCMC_BAD_ARGUMENT, "save: a buffer too small is refused");
    CHECK(!bml_mcmc_ensemble_save(a, buffer, size), "save: %llu bytes", (unsigned long long)size);
    bml_mcmc_run(a, 200);
    bml_mcmc_ensemble *b;
    bml_mcmc_ensemble_create(&b, &c, why);
    int status = bml_mcmc_ensemble_load(b, buffer, size);
    CHECK(!status, "load: %s", bml_mcmc_ensemble_message(b));
    bml_mcmc_run(b, 200);
    bml_mcmc_ensemble_info ia = bml_mcmc_ensemble_get_info(a);
    bml_mcmc_ensemble_info ib = bml_mcmc_ensemble_get_info(b);
    CHECK(same_chain(bml_mcmc_ensemble_chain(a), bml_mcmc_ensemble_chain(b)), "save, load and go on: equal to the bit");
    CHECK(ia.step == ib.step && ia.evaluations == ib.evaluations &&
              !memcmp(ia.accepted, ib.accepted, 20 * sizeof(uint64_t)) &&
              !memcmp(ia.moves_accepted, ib.moves_accepted, BML_MCMC_N_MOVES * sizeof(uint64_t)),
          "and so are the counts");
    bml_mcmc_rng r;
    bml_mcmc_rng_init(&r, seed, 2);
    for (size_t cut = 0; cut < size; cut += 1 + bml_mcmc_rng_u32(&r) % 4000, tried++) {
        unsigned char *part = malloc(cut + 1); /* its own block, so that reading beyond is seen */
        memcpy(part, buffer, cut);
        refused += bml_mcmc_ensemble_load(b, part, cut) == BML_MCMC_BAD_STATE;
        free(part);
    }
    for (int i = 0; i < 1000; i++, tried++) {
        size_t at = i < 700 ? (size_t)i : bml_mcmc_rng_u32(&r) % size;
        buffer[at] ^= (unsigned char)(1 + i % 255);
        refused += bml_mcmc_ensemble_load(b, buffer, size) == BML_MCMC_BAD_STATE;
        buffer[at] ^= (unsigned char)(1 + i % 255);
    }
    CHECK(refused == tried, "load: %d of %d truncated or damaged states refused", refused, tried);
    CHECK(same_chain(bml_mcmc_ensemble_chain(a), bml_mcmc_ensemble_chain(b)),
          "load: a refused state leaves the sampler as it was");
    other.seed++;
    bml_mcmc_ensemble *o;
    bml_mcmc_ensemble_create(&o, &other, why);
    CHECK(bml_mcmc_ensemble_load(o, buffer, size) == BML_MCMC_BAD_STATE, "load: another seed is refused: %s",
          bml_mcmc_ensemble_message(o));
    other = c;
    other.log_prob = isotropic;
    bml_mcmc_ensemble_free(o);
    bml_mcmc_ensemble_create(&o, &other, why);
    CHECK(bml_mcmc_ensemble_load(o, buffer, size) == BML_MCMC_BAD_STATE, "load: another problem is refused: %s",
          bml_mcmc_ensemble_message(o));
    CHECK(bml_mcmc_ensemble_save_size(o) == 0 && bml_mcmc_ensemble_save(o, buffer, size) == BML_MCMC_NOT_STARTED,
          "save before start is refused");
    bml_mcmc_ensemble_free(a);
    bml_mcmc_ensemble_free(b);
    bml_mcmc_ensemble_free(o);
    free(buffer);
}

/* ---- errors ---- */

typedef struct trouble {
    int calls, bad_call;
    double value;
} trouble;
static void troubled(double *lp, const double *x, int n, int d, void *user) {
    trouble *t = user;
    correlated(lp, x, n, d, NULL);
    if (++t->calls == t->bad_call) lp[n / 2] = t->value;
}

static int cancel_at_10(const bml_mcmc_progress *p, void *user) {
    ++*(int *)user;
    return p->step == 10 && p->last == 50;
}

static void test_run_errors(void) {
    trouble t = {0, 26, 0};
    bml_mcmc_config c = every_config();
    bml_mcmc_ensemble *clean = begin(&c, 0, 1);
    int reports = 0;
    bml_mcmc_run(clean, 50);
    c.log_prob = troubled;
    c.user = &t;
    bml_mcmc_ensemble *e;
    for (int i = 0; i < 2;
         i++) { /* call 1 is the start, two calls a step: 26 is the first half of step 13, 27 the second */
        t.calls = 0;
        t.bad_call = 26 + i;
        t.value = i ? infinite : not_a_number;
        e = begin(&c, 0, 1);
        int status = bml_mcmc_run(e, 50);
        CHECK(status == (i ? BML_MCMC_INFINITE : BML_MCMC_NAN) && strstr(bml_mcmc_ensemble_message(e), "walker") &&
                  strstr(bml_mcmc_ensemble_message(e), "theta = ("),
              "%s: %s", bml_mcmc_strerror(status), bml_mcmc_ensemble_message(e));
        CHECK(bml_mcmc_ensemble_chain(e).n_steps == 12, "the sampler stands after the last whole step");
        CHECK(!bml_mcmc_run(e, 38) && same_chain(bml_mcmc_ensemble_chain(clean), bml_mcmc_ensemble_chain(e)),
              "and goes on to the clean chain");
        bml_mcmc_ensemble_free(e);
    }
    c = every_config();
    c.progress = cancel_at_10;
    c.progress_user = &reports;
    e = begin(&c, 0, 1);
    CHECK(bml_mcmc_run(e, 50) == BML_MCMC_CANCELLED && reports == 10, "cancelled after step 10: %s",
          bml_mcmc_ensemble_message(e));
    CHECK(!bml_mcmc_run(e, 39) && !bml_mcmc_run(e, 1) &&
              same_chain(bml_mcmc_ensemble_chain(clean), bml_mcmc_ensemble_chain(e)),
          "and taken up again");
    bml_mcmc_ensemble_free(e);
    bml_mcmc_ensemble_free(clean);
}

static void half_space(double *lp, const double *x, int n, int d, void *user) {
    correlated(lp, x, n, d, user);
    for (int i = 0; i < n; i++)
        if (x[i * d] < 0) lp[i] = -infinite;
}
static void test_starts(void) {
    bml_mcmc_config c = make_config(3, 12, half_space);
    double x[12][3];
    double center[3] = {0, 0, 0};
    double radius[3] = {1, 1, 1};
    bml_mcmc_rng r;
    bml_mcmc_rng_init(&r, seed, 3);
    bml_mcmc_ensemble *e;
    bml_mcmc_ensemble_create(&e, &c, why);
    CHECK(bml_mcmc_run(e, 1) == BML_MCMC_NOT_STARTED, "run before start is refused");
    for (int i = 0; i < 36; i++)
        x[i / 3][i % 3] = bml_mcmc_rng_uniform(&r);
    CHECK(!bml_mcmc_start_given(e, x[0]), "given start");
#define REFUSED(word, ...)                                                                                  \
    CHECK((__VA_ARGS__) == BML_MCMC_BAD_START && strstr(bml_mcmc_ensemble_message(e), word), "refused: %s", \
          bml_mcmc_ensemble_message(e))
    double y = x[7][0];
    x[7][0] = -1;
    REFUSED("walker 7", bml_mcmc_start_given(e, x[0]));
    CHECK(bml_mcmc_run(e, 1) == BML_MCMC_NOT_STARTED, "a refused start does not run");
    x[7][0] = not_a_number;
    REFUSED("walker 7", bml_mcmc_start_given(e, x[0]));
    x[7][0] = y;
    memcpy(x[9], x[4], sizeof x[4]);
    REFUSED("walkers 4 and 9", bml_mcmc_start_given(e, x[0]));
    for (int i = 0; i < 12; i++) {
        x[i][1] = bml_mcmc_rng_uniform(&r);
        x[i][2] = 3 * x[i][0] - 2 * x[i][1];
    }
    REFUSED("plane", bml_mcmc_start_given(e, x[0]));
    for (int i = 0; i < 12; i++)
        x[i][2] = 0.1;
    REFUSED("parameter 2", bml_mcmc_start_given(e, x[0]));
    CHECK(!bml_mcmc_start_ball(e, center, radius), "ball: walkers outside the support are drawn again");
    radius[1] = 0;
    REFUSED("parameter 1", bml_mcmc_start_ball(e, center, radius));
    radius[1] = 1;
    center[0] = -5;
    REFUSED("walker 0", bml_mcmc_start_ball(e, center, radius));
    c.log_prob = nan_everywhere;
    bml_mcmc_ensemble *f;
    bml_mcmc_ensemble_create(&f, &c, why);
    CHECK(bml_mcmc_start_ball(f, center, radius) == BML_MCMC_NAN, "a callback without an answer: %s",
          bml_mcmc_ensemble_message(f));
    bml_mcmc_ensemble_free(e);
    bml_mcmc_ensemble_free(f);
    c.log_prob = nowhere;
    bml_mcmc_ensemble_create(&e, &c, why);
    center[0] = 0;
    REFUSED("walker 0", bml_mcmc_start_ball(e, center, radius));
    bml_mcmc_ensemble_free(e);
#undef REFUSED
}

static void expect_refused(bml_mcmc_config c, int status, const char *word) {
    bml_mcmc_ensemble *e = NULL;
    int got = bml_mcmc_ensemble_create(&e, &c, why);
    CHECK(got == status && !e && strstr(why, word), "refused: %s", why);
    CHECK(bml_mcmc_ensemble_create(&e, &c, NULL) == status && !e, "and without a word");
}

static void test_config(void) {
    static double reference[450]; /* all at the origin */
    bml_mcmc_config good = make_config(3, 12, isotropic);
    bml_mcmc_move move = {BML_MCMC_STRETCH, 1, 0, 0};
#define TRY(change, status, word)                                                                       \
    (c = good, move.kind = BML_MCMC_STRETCH, move.weight = 1, move.scale = 0, move.count = 0, (change), \
     expect_refused(c, status, word))
    bml_mcmc_config c;
    TRY(c.n_walkers = 4, BML_MCMC_BAD_ARGUMENT, "n_walkers = 4");
    TRY(c.n_walkers = 13, BML_MCMC_BAD_ARGUMENT, "n_walkers = 13");
    TRY(c.n_walkers = -2, BML_MCMC_BAD_ARGUMENT, "walkers");
    TRY(c.n_dim = 0, BML_MCMC_BAD_ARGUMENT, "n_dim");
    TRY(c.n_dim = 2000000000, BML_MCMC_BAD_ARGUMENT, "n_dim = 2000000000: must be in [1, 10000]");
    TRY((c.n_dim = 10000, c.n_walkers = 100000), BML_MCMC_TOO_LARGE, "n_walkers = 100000");
    TRY(c.thin = -1, BML_MCMC_BAD_ARGUMENT, "thin");
    TRY(c.log_prob = NULL, BML_MCMC_BAD_ARGUMENT, "log_prob");
    TRY((c.moves = &move, c.n_moves = 17), BML_MCMC_BAD_ARGUMENT, "n_moves = 17");
    TRY((c.moves = &move, c.n_moves = 1, move.kind = 7), BML_MCMC_BAD_ARGUMENT, "kind = 7");
    TRY((c.moves = &move, c.n_moves = 1, move.kind = BML_MCMC_SURROGATE), BML_MCMC_BAD_ARGUMENT,
        "surrogate is missing");
    TRY((c.moves = &move, c.n_moves = 1, move.kind = BML_MCMC_SURROGATE, c.surrogate = isotropic, move.count = -1),
        BML_MCMC_BAD_ARGUMENT, "count = -1");
    TRY((c.moves = &move, c.n_moves = 1, move.kind = BML_MCMC_SURROGATE, c.surrogate = isotropic, move.scale = 2),
        BML_MCMC_BAD_ARGUMENT, "scale = 2");
    TRY((c.reference = reference, c.n_reference = 149), BML_MCMC_BAD_ARGUMENT, "n_reference = 149");
    TRY((c.reference = NULL, c.n_reference = 150), BML_MCMC_BAD_ARGUMENT, "n_reference = 150");
    TRY((c.reference = reference, c.n_reference = 150), BML_MCMC_BAD_ARGUMENT, "span less");
    TRY((reference[7] = not_a_number, c.reference = reference, c.n_reference = 150), BML_MCMC_BAD_ARGUMENT,
        "point 2 is not finite");
    TRY((c.moves = &move, c.n_moves = 1, move.weight = not_a_number), BML_MCMC_BAD_ARGUMENT, "weight");
    TRY((c.moves = &move, c.n_moves = 1, move.scale = 0.5), BML_MCMC_BAD_ARGUMENT, "above 1");
    TRY((c.moves = &move, c.n_moves = 1, move.kind = BML_MCMC_WALK, move.count = 7), BML_MCMC_BAD_ARGUMENT,
        "at least 14");
    TRY((c.moves = &move, c.n_moves = 1, move.kind = BML_MCMC_MIXTURE, c.n_walkers = 6), BML_MCMC_BAD_ARGUMENT,
        "at least 10");
#undef TRY
    bml_mcmc_ensemble *e;
    CHECK(bml_mcmc_ensemble_create(&e, NULL, why) == BML_MCMC_BAD_ARGUMENT && !e && why[0], "no config: %s", why);
    bml_mcmc_ensemble_free(NULL);
    CHECK(bml_mcmc_run(NULL, 1) == BML_MCMC_BAD_ARGUMENT &&
              bml_mcmc_ensemble_create(NULL, &good, why) == BML_MCMC_BAD_ARGUMENT,
          "NULL sampler");
    e = begin(&good, 0, 1);
    CHECK(bml_mcmc_run(e, (size_t)-1) == BML_MCMC_TOO_LARGE, "2^64 steps: %s", bml_mcmc_ensemble_message(e));
    CHECK(!bml_mcmc_run(e, 5), "and the sampler still runs");
    bml_mcmc_ensemble_free(e);
    CHECK(!strcmp(bml_mcmc_strerror(BML_MCMC_NAN), "the log-probability is NaN") &&
              !strcmp(bml_mcmc_strerror(7), "unknown status"),
          "strerror");
    CHECK(!strcmp(bml_mcmc_move_name(BML_MCMC_DE), "DE") && !strcmp(bml_mcmc_move_name(-1), "?"), "move names");
}

/* ---- diagnostics ---- */

/* x[n_steps][n_walkers], AR(1) of coefficient phi and variance 1: tau = (1 + phi)/(1 - phi). */
static double *ar1(size_t n_steps, int n_walkers, double phi, bml_mcmc_rng *r) {
    double *x = malloc(n_steps * (size_t)n_walkers * sizeof *x);
    for (int w = 0; w < n_walkers; w++) {
        double v = bml_mcmc_rng_normal(r);
        for (size_t t = 0; t < n_steps; t++, v = phi * v + sqrt(1 - phi * phi) * bml_mcmc_rng_normal(r))
            x[t * (size_t)n_walkers + (size_t)w] = v;
    }
    return x;
}

/* Plain reference: every lag by its definition. */
static double slow_tau(const double *x, size_t n, int W) {
    double tau = 1;
    double *mean = calloc((size_t)W, sizeof *mean);
    double *c0 = calloc((size_t)W, sizeof *c0);
    for (int w = 0; w < W; w++) {
        for (size_t t = 0; t < n; t++)
            mean[w] += x[t * (size_t)W + (size_t)w] / (double)n;
        for (size_t t = 0; t < n; t++)
            c0[w] += (x[t * (size_t)W + (size_t)w] - mean[w]) * (x[t * (size_t)W + (size_t)w] - mean[w]);
    }
    for (size_t lag = 1; lag <= n / 2; lag++) {
        double rho = 0;
        for (int w = 0; w < W; w++) {
            double c = 0;
            for (size_t t = 0; t + lag < n; t++)
                c += (x[t * (size_t)W + (size_t)w] - mean[w]) * (x[(t + lag) * (size_t)W + (size_t)w] - mean[w]);
            rho += c / c0[w] / W;
        }
        tau += 2 * rho;
        if ((double)lag >= 5 * tau) break;
    }
    free(mean);
    free(c0);
    return tau;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void test_autocorrelation(void) {
    static const double phis[3] = {0, 0.5, 0.9};
    bml_mcmc_rng r;
    bml_mcmc_rng_init(&r, seed, 4);
    for (int i = 0; i < 3; i++) {
        double *x = ar1(4000, 51, phis[i], &r);
        double tau = 0;
        double want = (1 + phis[i]) / (1 - phis[i]);
        double slow = slow_tau(x, 4000, 51);
        bml_mcmc_chain c = {x, NULL, 4000, 51, 1};
        int status = bml_mcmc_autocorrelation(&tau, c);
        /* statistical: sqrt(2 (2M+1)/N) with M = 5 tau + 1; bias: the window's exp(-M/tau_exp), each walker's mean 2 tau/n */
        double sigma = sqrt(2 * (10 * want + 3) / (4000.0 * 51));
        double bias = exp(-2 * 5) * 2 + 2 * want / 4000;
        CHECK(!status, "AR(1) %.1f: converged", phis[i]);
        CHECK_NEAR(tau / slow, 1, 1e-9, "AR(1): tau by FFT and by definition");
        CHECK_NEAR(tau / want, 1, K_SIGMA * sigma + bias, "AR(1): tau and closed form");
        c.n_steps = (size_t)(49 * tau);
        status = bml_mcmc_autocorrelation(&tau, c);
        CHECK(status == (c.n_steps >= 8 && (double)c.n_steps < 50 * tau ? BML_MCMC_NOT_CONVERGED : BML_MCMC_OK),
              "AR(1): %d steps, tau %.2f: %s", (int)c.n_steps, tau, bml_mcmc_strerror(status));
        free(x);
    }
}

static void test_summary(void) {
    bml_mcmc_rng r;
    double worst = 0;
    bml_mcmc_summary s[2];
    bml_mcmc_rng_init(&r, seed, 5);
    double *x = ar1(2000, 40, 0.5, &r);
    bml_mcmc_chain c;
    c.theta = x;
    c.log_prob = NULL;
    c.n_steps = 2000;
    c.n_walkers = 40;
    c.n_dim = 1;
    int status = bml_mcmc_summarize(s, c);
    CHECK(!status, "summary of a good chain");
    /* sd of a quantile: sqrt(q (1-q) tau/N)/density; N = 80000, tau <= 3 */
    CHECK_NEAR(s[0].median, 0, K_SIGMA * sqrt(0.25 * 3 / 80000) / 0.3989, "median");
    CHECK_NEAR(s[0].minus, 1, K_SIGMA * sqrt(2 * 0.1335 * 3 / 80000) / 0.2420, "minus");
    CHECK_NEAR(s[0].plus, 1, K_SIGMA * sqrt(2 * 0.1335 * 3 / 80000) / 0.2420, "plus");
    CHECK_NEAR(s[0].rhat, 1, 0.01, "R-hat of a good chain");
    CHECK_NEAR(s[0].ess * s[0].tau, 80000, 1e-6, "ess tau = N");
    for (int w = 0; w < 40; w += 2)
        for (int t = 0; t < 2000; t++)
            x[t * 40 + w] += 1; /* half the walkers live elsewhere: var 1 within, 1/4 between */
    status = bml_mcmc_summarize(s, c);
    CHECK(status == BML_MCMC_NOT_CONVERGED && 2000 > 50 * s[0].tau,
          "walkers that disagree are not blessed though tau is %.2f", s[0].tau);
    CHECK_NEAR(s[0].rhat, sqrt(1.25), 0.02, "R-hat = sqrt(1 + 1/4)");
    for (int w = 0; w < 20; w++)
        for (int t = 1; t < 2000; t++)
            x[t * 40 + w] = x[w]; /* half the walkers never move */
    status = bml_mcmc_summarize(s, c);
    CHECK(status == BML_MCMC_NOT_CONVERGED && s[0].tau > 100, "walkers that never move are not blessed: tau %.1f",
          s[0].tau);
    for (int i = 0; i < 80000; i++)
        x[i] = 2.5;
    CHECK(bml_mcmc_summarize(s, c) == BML_MCMC_NOT_CONVERGED && s[0].median == 2.5 && s[0].sd == 0,
          "a constant is not a chain");
    x[77] = not_a_number;
    CHECK(bml_mcmc_summarize(s, c) == BML_MCMC_BAD_ARGUMENT, "a NaN in the chain is refused");
    c.n_steps = 7;
    CHECK(bml_mcmc_summarize(s, c) == BML_MCMC_BAD_ARGUMENT, "7 steps are refused");
    free(x);
    double *y;
    y = malloc(1001 * sizeof *y);
    double value;
    for (int n = 1; n <= 1001; n += 125) { /* against sorting, with ties */
        for (int k = 0; k <= 10; k++) {
            double at = k / 10.0 * (n - 1);
            int low = (int)at;
            for (int i = 0; i < n; i++)
                y[i] = floor(50 * bml_mcmc_rng_uniform(&r));
            value = bml_mcmc_quantile(y, (size_t)n, k / 10.0);
            qsort(y, (size_t)n, sizeof *y, by_value);
            double want = y[low] + (at - low) * (y[low + 1 < n ? low + 1 : low] - y[low]);
            if (!(fabs(value - want) <= worst)) worst = fabs(value - want);
        }
    }
    CHECK_LE(worst, 1e-12, "quantiles against sorting");
    value = bml_mcmc_quantile(y, 0, 0.5);
    CHECK(value != value, "no quantile of nothing");
    free(y);
}

static void test_ensemble_summary(void) {
    bml_mcmc_config c = make_config(2, 20, isotropic);
    bml_mcmc_ensemble *e = begin(&c, 0, 1);
    bml_mcmc_summary s[2];
    bml_mcmc_summary thinned[2];
    CHECK(bml_mcmc_ensemble_summary(e, s, 0) == BML_MCMC_BAD_ARGUMENT, "no summary before a run: %s",
          bml_mcmc_ensemble_message(e));
    bml_mcmc_run(e, 100);
    CHECK(bml_mcmc_ensemble_summary(e, s, 0) == BML_MCMC_NOT_CONVERGED && s[0].sd > 0, "short: %s",
          bml_mcmc_ensemble_message(e));
    bml_mcmc_run(e, 7900);
    CHECK(!bml_mcmc_ensemble_summary(e, s, 1000), "long: converged");
    c.thin = 4;
    bml_mcmc_ensemble *t = begin(&c, 0, 1);
    bml_mcmc_run(t, 8000);
    CHECK(!bml_mcmc_ensemble_summary(t, thinned, 1000), "thinned: converged");
    /* An AR(1) chain of correlation r has tau = (1 + r)/(1 - r); every fourth step of it has r^4. Both estimates are good
       to 3 %, sqrt(2 (2 M + 1)/N) of windows M = 5 tau (Sokal 1997, eq. 3.19), and share their draws. */
    double r = (s[0].tau - 1) / (s[0].tau + 1);
    double ratio = 4 * (1 + pow(r, 4)) / (1 - pow(r, 4)) / s[0].tau;
    CHECK_NEAR(thinned[0].tau / s[0].tau, ratio, 0.1, "tau counts the sampler's steps, thinned or not");
    bml_mcmc_ensemble_free(e);
    bml_mcmc_ensemble_free(t);
}

/* ---- priors ---- */

/* The transform is triangular, so density and transform agree exactly if p(theta) prod d theta_i/d u_i = 1. The derivatives are
   central differences over du = 2e-5, whose error is of order du^2 except across a kink of a table. Largest deviation of n
   random points; `round` gets the largest |inverse(transform(u)) - u|. */
static double jacobian_error(const bml_mcmc_prior *p, int d, int n, double *round) {
    double worst = 0;
    double u[8];
    double x[8];
    double up[8];
    double low[8];
    double high[8];
    double du = 1e-5;
    bml_mcmc_rng r;
    bml_mcmc_rng_init(&r, seed, 6);
    *round = 0;
    for (int s = 0; s < n; s++) {
        double volume = 1;
        for (int i = 0; i < d; i++)
            u[i] = 0.001 + 0.998 * bml_mcmc_rng_uniform(&r);
        if (bml_mcmc_prior_transform(p, x, u)) return infinite;
        for (int i = 0; i < d; i++) {
            memcpy(up, u, sizeof u);
            up[i] = u[i] - du;
            if (bml_mcmc_prior_transform(p, low, up)) return infinite;
            up[i] = u[i] + du;
            if (bml_mcmc_prior_transform(p, high, up)) return infinite;
            volume *= (high[i] - low[i]) / (2 * du);
        }
        double error = fabs(exp(bml_mcmc_prior_log_density(p, x)) * volume - 1);
        if (!(error <= worst)) worst = error;
        if (bml_mcmc_prior_inverse(p, up, x)) return infinite;
        for (int i = 0; i < d; i++)
            if (!(fabs(up[i] - u[i]) <= *round)) *round = fabs(up[i] - u[i]);
    }
    return worst;
}

static void test_prior_kinds(void) {
    static const double tx[4] = {-1, 0, 2, 3};
    static const double ty[4] = {0, 2, 2, 5};
    static const struct {
        const char *name;
        bml_mcmc_prior_param p;
        double inside, density; /* closed form there */
    } kinds[7] = {
        {"uniform", {BML_MCMC_UNIFORM, -2, 3, 0, 0, NULL, NULL, 0, NULL, NULL, 0}, 1, 0.2},
        {"log-uniform",
         {BML_MCMC_LOG_UNIFORM, 1e-3, 1e5, 0, 0, NULL, NULL, 0, NULL, NULL, 0},
         2,
         0.5 / 18.420680743952367},
        {"normal", {BML_MCMC_NORMAL, 0, 0, 1, 2, NULL, NULL, 0, NULL, NULL, 0}, 3, 0.5 * 0.24197072451914337},
        {"truncated normal",
         {BML_MCMC_NORMAL, 0, (double)INFINITY, 0, 1, NULL, NULL, 0, NULL, NULL, 0},
         1,
         2 * 0.24197072451914337},
        /* Mills ratio: phi(8)/Q(8) = 8.1213... : Q(8) = 6.220960574271785e-16, phi(8) = 5.052271083536893e-15 */
        {"normal beyond 8 sigma",
         {BML_MCMC_NORMAL, 8, (double)INFINITY, 0, 1, NULL, NULL, 0, NULL, NULL, 0},
         8,
         5.052271083536893 / 0.6220960574271785},
        {"normal below -8 sigma",
         {BML_MCMC_NORMAL, -(double)INFINITY, -8, 0, 1, NULL, NULL, 0, NULL, NULL, 0},
         -8,
         5.052271083536893 / 0.6220960574271785},
        {"table", {BML_MCMC_TABLE, 0, 0, 0, 0, tx, ty, 4, NULL, NULL, 0}, 2.5, 3.5 / 8.5},
    };
    for (int k = 0; k < 7; k++) {
        bml_mcmc_prior *p;
        double cube = 2;
        double outside = -100;
        int status = bml_mcmc_prior_create(&p, &kinds[k].p, 1, why);
        CHECK(!status, "%s prior %s", kinds[k].name, why);
        CHECK_NEAR(exp(bml_mcmc_prior_log_density(p, &kinds[k].inside)) / kinds[k].density, 1, 1e-12,
                   "density against closed form");
        double round;
        double error = jacobian_error(p, 1, 2000, &round);
        /* du^2/6 x'''/x' <= 1e-10/6 * 2/(0.001)^2 = 3e-5 in tails; a kink in a table of slope change s: du s/density */
        CHECK_LE(error, 1e-4, "density times derivative of the transform is 1, error");
        CHECK_LE(round, 1e-9, "cube -> parameter -> cube");
        if (kinds[k].p.kind != BML_MCMC_NORMAL)
            CHECK(bml_mcmc_prior_log_density(p, &outside) == -infinite, "nothing outside");
        CHECK(bml_mcmc_prior_transform(p, &outside, &cube) == BML_MCMC_BAD_ARGUMENT,
              "a point outside the cube is refused");
        bml_mcmc_prior_free(p);
    }
}

/* log gamma_min + 2 <= log gamma_max <= min(8, top + log R + log B), as for a source whose electrons must be confined. */
static void gamma_max_bounds(double *lower, double *upper, const double *theta, int i, void *user) {
    const double *top = user;
    *lower = theta[i - 1] + 2;
    if (theta[0] + theta[1] + *top < *upper) *upper = theta[0] + theta[1] + *top;
}
static void gamma_min_bounds(double *lower, double *upper, const double *theta, int i, void *user) {
    const double *top = user;
    (void)lower;
    (void)i;
    if (theta[0] + theta[1] + *top - 2 < *upper) *upper = theta[0] + theta[1] + *top - 2;
}

static void source_prior(bml_mcmc_prior_param *p, double *top, int joint) {
    bml_mcmc_prior_param uniform = {0, 0, 0, 0, 0, NULL, NULL, 0, NULL, NULL, 0};
    static const double limits[5][2] = {{14, 17}, {-2, 2}, {0.1, 4}, {2.1, 8}, {1.5, 3}};
    for (int i = 0; i < 5; i++) {
        p[i] = uniform;
        p[i].lower = limits[i][0];
        p[i].upper = limits[i][1];
        p[i].joint = joint && i < 3;
    }
    p[2].bounds = gamma_min_bounds;
    p[3].bounds = gamma_max_bounds;
    p[2].user = p[3].user = top;
}

/* Draws through the transform against rejection from the box: means of x_i, x_i^2 over n draws each; largest deviation in
   units of its standard error, plus the share `systematic` of the sd that interpolated marginals may be off. */
static double against_rejection(const bml_mcmc_prior *p, const double *top, int n, double systematic) {
    double a[10] = {0};
    double b[10] = {0};
    double b2[10] = {0};
    double worst = 0;
    double u[5];
    double x[5];
    bml_mcmc_rng r;
    bml_mcmc_rng_init(&r, seed, 7);
    for (int s = 0; s < n; s++) {
        for (int i = 0; i < 5; i++)
            u[i] = bml_mcmc_rng_uniform(&r);
        if (bml_mcmc_prior_transform(p, x, u) || !(x[3] >= x[2] + 2 && x[3] <= 8 && x[3] <= x[0] + x[1] + *top))
            return infinite;
        for (int i = 0; i < 5; i++) {
            a[i] += x[i] / n;
            a[5 + i] += x[i] * x[i] / n;
        }
        do {
            x[0] = 14 + 3 * bml_mcmc_rng_uniform(&r);
            x[1] = -2 + 4 * bml_mcmc_rng_uniform(&r);
            x[2] = 0.1 + 3.9 * bml_mcmc_rng_uniform(&r);
            x[3] = 2.1 + 5.9 * bml_mcmc_rng_uniform(&r);
        } while (!(x[3] >= x[2] + 2 && x[3] <= x[0] + x[1] + *top));
        x[4] = 1.5 + 1.5 * bml_mcmc_rng_uniform(&r);
        for (int i = 0; i < 5; i++) {
            b[i] += x[i] / n;
            b[5 + i] += x[i] * x[i] / n;
            b2[i] += x[i] * x[i] / n;
            b2[5 + i] += x[i] * x[i] * x[i] * x[i] / n;
        }
    }
    for (int i = 0; i < 10; i++) {
        double sd = sqrt(b2[i] - b[i] * b[i]);
        double z = (fabs(a[i] - b[i]) - systematic * sd) / (sd * sqrt(2.0 / n));
        if (!(z <= worst)) worst = z;
    }
    return worst;
}

static void test_prior_bounds(void) {
    /* top = -3.2324: log10(e/(m_e c^2)) in cgs, never below 8 in these ranges; -10: the limit cuts most of the region */
    static const double tops[2] = {-3.2324, -10};
    for (int t = 0; t < 2; t++) {
        double top = tops[t];
        double lo = 0;
        double hi = -1e9;
        bml_mcmc_prior_param params[5];
        int flat = 1;
        source_prior(params, &top, 1);
        if (t == 0) params[2].bounds = NULL;
        bml_mcmc_prior *joint;
        int status = bml_mcmc_prior_create(&joint, params, 5, why);
        CHECK(!status, "joint prior, top = %g %s", top, why);
        double round;
        double error = jacobian_error(joint, 5, t ? 200 : 2000, &round);
        /* t = 0: the marginal is linear, exact. t = 1: piecewise cubic over 32 intervals; the derivative of the transform is
           the interpolated marginal, off by h^2 M''/8 relative to M, which is large only where M is nearly nothing */
        if (t == 0) CHECK_LE(error, 1e-4, "joint: density times Jacobian is 1, error");
        CHECK_LE(round, 1e-8, "joint: cube -> parameters -> cube");
        double z = against_rejection(joint, &top, t ? 10000 : 100000, t ? 2e-3 : 0);
        CHECK_LE(z, K_SIGMA, "joint: transform against rejection in a box, deviation in sigma");
        bml_mcmc_rng r;
        bml_mcmc_rng_init(&r, seed, 8);
        for (int s = 0; s < 2000; s++) {
            double x[5];
            for (int i = 0; i < 5; i++)
                x[i] = params[i].lower + (params[i].upper - params[i].lower) * bml_mcmc_rng_uniform(&r);
            double log_p = bml_mcmc_prior_log_density(joint, x);
            if (x[3] >= x[2] + 2 && x[3] <= x[0] + x[1] + top) {
                lo = log_p < lo ? log_p : lo;
                hi = log_p > hi ? log_p : hi;
            } else
                flat &= log_p == -infinite;
        }
        CHECK(flat && hi - lo <= 1e-12, "joint: flat inside (spread %.1e), zero outside", hi - lo);
        if (t == 0) /* volume: 3 * 4 * 1.5 * integral over gamma_min of 6 - gamma_min = 23.4 - 7.995 */
            CHECK_NEAR(exp(-hi) / (18 * 15.405), 1, 1e-12, "joint: the density is 1/volume");
        source_prior(params, &top, 0);
        /* with top = -10 some R, B leave nothing: conditional priors say so */
        bml_mcmc_prior *conditional;
        status = bml_mcmc_prior_create(&conditional, params, 5, why);
        CHECK(!status, "conditional prior %s", why);
        if (t == 0) {
            CHECK_LE(jacobian_error(conditional, 5, 2000, &round), 1e-4,
                     "conditional: density times Jacobian is 1, error");
            CHECK(against_rejection(conditional, &top, 100000, 0) > 20,
                  "conditional bounds are not flat, and the comparison sees it");
        } else {
            double u[5] = {0, 0, 0.5, 0.5, 0.5};
            double x[5];
            CHECK(bml_mcmc_prior_transform(conditional, x, u) == BML_MCMC_EMPTY_BOUNDS,
                  "bounds that leave nothing are an error");
        }
        bml_mcmc_prior_free(joint);
        bml_mcmc_prior_free(conditional);
    }
}

static void test_prior_errors(void) {
    static const double x[3] = {0, 1, 1};
    static const double y[3] = {1, -1, 1};
    static const double zero[3] = {0, 0, 0};
    static const double up[3] = {0, 1, 2};
    static const struct {
        bml_mcmc_prior_param p;
        const char *word;
    } bad[10] = {
        {{BML_MCMC_UNIFORM, 3, 3, 0, 0, NULL, NULL, 0, NULL, NULL, 0}, "lower < upper"},
        {{BML_MCMC_UNIFORM, 0, (double)NAN, 0, 0, NULL, NULL, 0, NULL, NULL, 0}, "NaN"},
        {{BML_MCMC_UNIFORM, 0, (double)INFINITY, 0, 0, NULL, NULL, 0, NULL, NULL, 0}, "finite"},
        {{BML_MCMC_LOG_UNIFORM, 0, 1, 0, 0, NULL, NULL, 0, NULL, NULL, 0}, "lower > 0"},
        {{BML_MCMC_NORMAL, 0, 0, 1, -1, NULL, NULL, 0, NULL, NULL, 0}, "sd positive"},
        {{BML_MCMC_NORMAL, 50, 60, 0, 1, NULL, NULL, 0, NULL, NULL, 0}, "no mass"},
        {{BML_MCMC_TABLE, 0, 0, 0, 0, x, up, 3, NULL, NULL, 0}, "row 2"},
        {{BML_MCMC_TABLE, 0, 0, 0, 0, up, y, 3, NULL, NULL, 0}, "row 1"},
        {{BML_MCMC_TABLE, 0, 0, 0, 0, up, zero, 3, NULL, NULL, 0}, "no mass"},
        {{9, 0, 0, 0, 0, NULL, NULL, 0, NULL, NULL, 0}, "kind"},
    };
    bml_mcmc_prior *p;
    double at = 0.5;
    int status;
    for (int i = 0; i < 10; i++) {
        status = bml_mcmc_prior_create(&p, &bad[i].p, 1, why);
        CHECK(status == BML_MCMC_BAD_ARGUMENT && !p && strstr(why, bad[i].word), "refused: %s", why);
        CHECK(bml_mcmc_prior_transform(p, &at, &at) == status && !(bml_mcmc_prior_log_density(p, &at) == 0),
              "and there is nothing to ask");
    }
    status = bml_mcmc_prior_create(&p, &bad[0].p, 0, why);
    CHECK(status == BML_MCMC_BAD_ARGUMENT, "0 parameters: %s", why);
    bml_mcmc_prior_free(p);
    {
        bml_mcmc_prior_param params[5];
        double top = -20;
        source_prior(params, &top, 1);
        status = bml_mcmc_prior_create(&p, params, 5, why);
        CHECK(status == BML_MCMC_EMPTY_BOUNDS, "an empty region: %s", why);
        bml_mcmc_prior_free(p);
    }
    bml_mcmc_prior_free(NULL);
}

static void prior_log_prob(double *lp, const double *x, int n, int d, void *user) {
    for (int i = 0; i < n; i++)
        lp[i] = bml_mcmc_prior_log_density(user, x + i * d);
}

/* A sampler whose target is the prior must give back the prior, started from it. */
static void test_start_prior(void) {
    double top = -3.2324;
    double truth[24];
    bml_mcmc_prior_param params[5];
    bml_mcmc_config c = make_config(5, 40, prior_log_prob);
    double m2 = 0;
    double m22 = 0;
    double m3 = 0;
    double m33 = 0;
    double m23 = 0;
    double mass = 0;
    source_prior(params, &top, 1);
    bml_mcmc_prior *p;
    bml_mcmc_prior_create(&p, params, 5, why);
    c.user = p;
    bml_mcmc_ensemble *e;
    bml_mcmc_ensemble_create(&e, &c, why);
    CHECK(!bml_mcmc_start_prior(e, p), "start from the prior %s", bml_mcmc_ensemble_message(e));
    int status = bml_mcmc_run(e, steps(20000));
    for (int i = 0; i < 20000; i++) { /* moments of the triangle by the midpoint rule, error of order 1e-9 */
        double g = 0.1 + 3.9 * (i + 0.5) / 20000;
        double w = 6 - g;
        double mid = 0.5 * (g + 2 + 8);
        mass += w;
        m2 += w * g;
        m22 += w * g * g;
        m3 += w * mid;
        m33 += w * (mid * mid + w * w / 12);
        m23 += w * g * mid;
    }
    truth[0] = 15.5;
    truth[1] = 0;
    truth[2] = m2 / mass;
    truth[3] = m3 / mass;
    truth[4] = 2.25;
    truth[5] = 15.5 * 15.5 + 0.75;
    truth[6] = 4 / 3.0;
    truth[7] = m22 / mass;
    truth[8] = m33 / mass;
    truth[9] = 2.25 * 2.25 + 0.1875;
    truth[10] = 0;
    truth[11] = 0;
    truth[12] = m23 / mass;
    truth[13] = truth[3] * 2.25;
    double worst = worst_deviation(bml_mcmc_chain_drop(bml_mcmc_ensemble_chain(e), 500), truth, &status);
    CHECK(!status && worst <= K_SIGMA, "sampling the prior gives the prior: deviation %.2f sigma (%s)", worst,
          bml_mcmc_strerror(status));
    c.n_dim = 4;
    bml_mcmc_ensemble_free(e);
    bml_mcmc_ensemble_create(&e, &c, why);
    CHECK(bml_mcmc_start_prior(e, p) == BML_MCMC_BAD_ARGUMENT, "a prior of other dimensions: %s",
          bml_mcmc_ensemble_message(e));
    bml_mcmc_ensemble_free(e);
    bml_mcmc_prior_free(p);
}

/* ---- calibration ---- */

enum { POINTS = 5, SOURCES = 300, DRAWS = 63 };
typedef struct line {
    double y[POINTS], error_factor; /* 1; another number makes the posterior wrong */
} line;
static void line_log_prob(double *lp, const double *x, int n, int d, void *user) {
    const line *l = user;
    for (int i = 0; i < n; i++, x += d) {
        lp[i] = -0.5 * (x[0] * x[0] + x[1] * x[1]); /* prior: standard normal */
        for (int k = 0; k < POINTS; k++) {
            double r = (l->y[k] - x[0] - x[1] * k) / (0.7 * l->error_factor);
            lp[i] -= 0.5 * r * r;
        }
    }
}

/* Ranks of n truths under posteriors that use error bars wrong by the factor; ranks[2][SOURCES]. */
static int line_ranks(int *ranks, int n, double factor) {
    bml_mcmc_rng r;
    static double truth[2]; /* static: gcc 12 warns, wrongly, of elements beyond those that n_dim allows */
    bml_mcmc_rng_init(&r, seed, 9);
    for (int s = 0; s < n; s++) {
        line l;
        bml_mcmc_config c = make_config(2, 16, line_log_prob);
        int pair[2];
        l.error_factor = factor;
        for (int k = 0; k < 2; k++)
            truth[k] = bml_mcmc_rng_normal(&r);
        for (int k = 0; k < POINTS; k++)
            l.y[k] = truth[0] + truth[1] * k + 0.7 * bml_mcmc_rng_normal(&r);
        c.user = &l;
        c.seed = seed * 1000 + (uint64_t)s;
        bml_mcmc_ensemble *e = begin(&c, 0, 1);
        int status = bml_mcmc_run(e, steps(1200));
        if (!status)
            status = bml_mcmc_sbc_ranks(pair, bml_mcmc_chain_drop(bml_mcmc_ensemble_chain(e), 100), truth, DRAWS);
        bml_mcmc_ensemble_free(e);
        if (status) return status;
        ranks[s] = pair[0];
        ranks[SOURCES + s] = pair[1];
    }
    return BML_MCMC_OK;
}

static void test_calibration(void) {
    int ranks[2 * SOURCES];
    const int n = longer ? SOURCES : SOURCES / 3;
    double fraction = 0;
    double sd = 0;
    /* chi^2 tables: 5 % points; two degrees of freedom are an exponential */
    CHECK_NEAR(bml_mcmc_chi2_survival(3.841458820694124, 1), 0.05, 1e-13, "chi^2, 1 degree of freedom");
    CHECK_NEAR(bml_mcmc_chi2_survival(18.307038053275146, 10), 0.05, 1e-13, "chi^2, 10 degrees of freedom");
    CHECK_NEAR(bml_mcmc_chi2_survival(1.0, 2), exp(-0.5), 1e-14, "chi^2, 2 degrees of freedom, small");
    CHECK_NEAR(bml_mcmc_chi2_survival(80.0, 2) / exp(-40.0), 1, 1e-12, "chi^2, 2 degrees of freedom, large");
    CHECK(!line_ranks(ranks, n, 1), "simulation-based calibration of a straight line, %d data sets", n);
    double p;
    for (int k = 0; k < 2; k++) {
        p = bml_mcmc_sbc_p_value(ranks + k * SOURCES, n, DRAWS, 16);
        CHECK(p > 1e-6, "ranks of parameter %d are uniform: p = %.3g", k, p);
        CHECK(!bml_mcmc_coverage(&fraction, &sd, ranks + k * SOURCES, n, DRAWS, 0.6827), "coverage");
        CHECK_NEAR(fraction, 0.6827, K_SIGMA * sd, "68.27 % intervals hold the truth");
    }
    CHECK(!line_ranks(ranks, SOURCES, 0.5), "the same with error bars half as large as they are");
    p = bml_mcmc_sbc_p_value(ranks + SOURCES, SOURCES, DRAWS, 16);
    bml_mcmc_coverage(&fraction, &sd, ranks + SOURCES, SOURCES, DRAWS, 0.6827);
    CHECK(p < 1e-6 && fraction < 0.6827 - K_SIGMA * sd, "is found out: p = %.1e, coverage %.3f", p, fraction);
    for (int i = 0; i < 640; i++)
        ranks[i % 600] = i % 64;
    CHECK_NEAR(bml_mcmc_sbc_p_value(ranks, 576, 63, 64), 1, 1e-12, "equal counts: p = 1");
    for (int i = 0; i < 64; i++)
        ranks[i] = i;
    CHECK(!bml_mcmc_coverage(&fraction, &sd, ranks, 64, 63, 0.5), "coverage of one rank each");
    CHECK_NEAR(fraction, 0.5, 1e-12, "is the level itself");
    ranks[3] = 64;
    p = bml_mcmc_sbc_p_value(ranks, 64, 63, 8);
    CHECK(p != p && bml_mcmc_coverage(&fraction, &sd, ranks, 64, 63, 0.5) == BML_MCMC_BAD_ARGUMENT,
          "a rank above n_draws is refused");
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
    longer = getenv("BML_CHECK_LONG") != NULL;
    test_rng();
    test_moments();
    test_rosenbrock_arms();
    test_few_walkers();
    test_snooker();
    test_reference();
    test_bad_surrogates();
    test_append_and_thin();
    test_threads();
    test_save();
    test_run_errors();
    test_starts();
    test_config();
    test_autocorrelation();
    test_summary();
    test_ensemble_summary();
    test_prior_kinds();
    test_prior_bounds();
    test_prior_errors();
    test_start_prior();
    test_calibration();
    return check_done();
}
