/* test_nuts.c: the NUTS sampler of bml_mcmc.h against closed forms. Moments over the chains are compared with their
   true values in units of sd/sqrt(ess), ess from the chains themselves, and allowed 5: some 250 such comparisons of a
   normal deviate fail by chance once in 7,000 runs. */
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
static const double infinite = (double)INFINITY, not_a_number = (double)NAN;
static uint64_t seed;
static int quick;

/* ---- targets ---- */

/* x_0 ~ N(0,1), x_k = 0.9 x_{k-1} + sqrt(0.19) n: variances 1, neighbours correlated by 0.9. */
static void correlated(double *lp, double *g, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d, g += d) {
        lp[i] = -0.5 * x[0] * x[0];
        g[0] = -x[0];
        for (int k = 1; k < d; k++) {
            double r = (x[k] - 0.9 * x[k - 1]) / 0.19;
            lp[i] -= 0.5 * r * (x[k] - 0.9 * x[k - 1]);
            g[k] = -r;
            g[k - 1] += 0.9 * r;
        }
    }
}
/* Independent normals with sd from 0.01 to 100: what the mass matrix is for. */
static double sd_of(int k, int d) {
    return pow(10, -2 + 4.0 * k / (d - 1));
}
static void scales(double *lp, double *g, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d, g += d) {
        lp[i] = 0;
        for (int k = 0; k < d; k++) {
            double z = x[k] / sd_of(k, d);
            lp[i] -= 0.5 * z * z;
            g[k] = -z / sd_of(k, d);
        }
    }
}
/* Exponential on x > 0, Beta(2, 5) on (0, 1), minus an exponential on x < 3, half normal on x > -1, normal. Each wall
   of another kind: densities of theta itself. */
static void walls(double *lp, double *g, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d, g += d) {
        lp[i] = -x[0] + log(x[1]) + 4 * log(1 - x[1]) - (3 - x[2]) - 0.5 * (x[3] + 1) * (x[3] + 1) - 0.5 * x[4] * x[4];
        g[0] = -1;
        g[1] = 1 / x[1] - 4 / (1 - x[1]);
        g[2] = 1;
        g[3] = -(x[3] + 1);
        g[4] = -x[4];
    }
}
/* A funnel twice as steep as Neal's: v ~ N(0, 3), x_k ~ N(0, e^v). */
static void funnel(double *lp, double *g, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d, g += d) {
        double e = exp(-2 * x[0]);
        lp[i] = -x[0] * x[0] / 18;
        g[0] = -x[0] / 9;
        for (int k = 1; k < d; k++) {
            lp[i] -= 0.5 * x[k] * x[k] * e + x[0];
            g[0] += x[k] * x[k] * e - 1;
            g[k] = -x[k] * e;
        }
    }
}
/* Uniform in the triangle x > y in (0,1)^2: -infinity across a wall that the limits do not know. */
static void triangle(double *lp, double *g, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d, g += d) {
        lp[i] = x[0] > x[1] ? 0 : -infinite;
        g[0] = g[1] = 0;
    }
}
static void wrong_sign(double *lp, double *g, const double *x, int n, int d, void *user) {
    correlated(lp, g, x, n, d, user);
    for (int i = 0; i < n; i++)
        g[i * d + d - 1] *= -1;
}
static void slightly_wrong(double *lp, double *g, const double *x, int n, int d, void *user) {
    correlated(lp, g, x, n, d, user);
    for (int i = 0; i < n; i++)
        g[i * d] *= 1.02;
}
static void in_float(double *lp, double *g, const double *x, int n, int d, void *user) { /* as a network's would be */
    correlated(lp, g, x, n, d, user);
    for (int i = 0; i < n; i++)
        lp[i] = (double)(float)lp[i];
    for (int i = 0; i < n * d; i++)
        g[i] = (double)(float)g[i];
}
static void no_answer(double *lp, double *g, const double *x, int n, int d, void *user) {
    (void)lp;
    (void)g;
    (void)x;
    (void)n;
    (void)d;
    (void)user;
}
static void threaded(double *lp, double *g, const double *x, int n, int d, void *user) {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic)
#endif
    for (int i = 0; i < n; i++)
        correlated(lp + i, g + i * d, x + i * d, 1, d, user);
}

/* ---- helpers ---- */

static char why[BML_MCMC_MESSAGE]; /* what the last create had to say */

static bml_mcmc_nuts_config make_config(int n_dim, bml_mcmc_gradient f, int metric) {
    bml_mcmc_nuts_config c = {.n_dim = n_dim, .seed = seed, .log_prob = f, .metric = metric, .warmup = quick ? 200 : 0};
    return c;
}
/* Starts from centre + 0.3 (chain + 1)/(k + 2), and runs; NULL after a failed check. */
static bml_mcmc_nuts *run(const bml_mcmc_nuts_config *c, double centre, size_t draws, const char *name) {
    bml_mcmc_nuts *s = NULL;
    double theta[8 * 64];
    int status = bml_mcmc_nuts_create(&s, c, why);
    int chains = c->n_chains ? c->n_chains : 4;
    for (int i = 0; i < chains; i++)
        for (int k = 0; k < c->n_dim; k++)
            theta[i * c->n_dim + k] = centre + 0.3 * (i + 1) / (k + 2) / chains;
    if (!status) status = bml_mcmc_nuts_start(s, theta);
    if (!status) status = bml_mcmc_nuts_run(s, draws);
    if (!status) return s;
    CHECK(0, "%s: %s: %s", name, bml_mcmc_strerror(status), s ? bml_mcmc_nuts_message(s) : why);
    bml_mcmc_nuts_free(s);
    return NULL;
}

/* Means of x_k, x_k^2 and x_k x_{k+1} against truth[3 d - 1], in
   this order; the largest deviation in sigma, and the ESS. */
static void check_moments(const bml_mcmc_nuts *s, const double *truth, const char *name) {
    bml_mcmc_chain chain = bml_mcmc_nuts_chain(s);
    bml_mcmc_nuts_info info = bml_mcmc_nuts_get_info(s);
    int d = chain.n_dim;
    int m = 3 * d - 1;
    int last = 0;
    size_t rows = chain.n_steps * (size_t)chain.n_walkers;
    double *f = malloc(rows * (size_t)m * sizeof *f);
    double worst = 0;
    double least = infinite;
    bml_mcmc_summary sum[160];
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
    int status = bml_mcmc_summarize(sum, derived);
    for (int k = 0; k < m; k++) {
        double ess = fmin(sum[k].ess, (double)rows); /* anticorrelated chains: tau below 1 is estimated badly */
        double z = fabs(sum[k].mean - truth[k]) / (sum[k].sd / sqrt(ess));
        if (!(z <= worst)) {
            worst = z;
            last = k;
        }
        least = fmin(least, sum[k].ess);
    }
    /* squares and products of few draws may be short of R-hat 1.01; the deviation is checked in any case */
    int enough = !status || (quick && status == BML_MCMC_NOT_CONVERGED);
    CHECK(enough && worst <= K_SIGMA,
          "%s: moments within %.2f sigma (number %d), least ESS %.0f of %d draws, %.1f gradients each, %d divergences",
          name, worst, last, least, (int)rows, info.mean_tree, (int)info.divergences);
    free(f);
}

/* ---- tests ---- */

static void test_gaussians(void) {
    static const int dims[3] = {2, 10, 50};
    double truth[160];
    char name[64];
    for (int metric = 0; metric < 2; metric++)
        for (int t = 0; t < (quick ? 2 : 3); t++) {
            int d = dims[t];
            bml_mcmc_nuts_config c = make_config(d, correlated, metric);
            for (int k = 0; k < 3 * d - 1; k++)
                truth[k] = k < d ? 0 : k < 2 * d ? 1 : 0.9;
            snprintf(name, sizeof name, "correlated normal, %d-D, %s", d, metric ? "dense" : "diagonal");
            bml_mcmc_nuts *s;
            if (!(s = run(&c, 0, quick ? 500 : 1000, name))) continue;
            check_moments(s, truth, name);
            bml_mcmc_nuts_info info = bml_mcmc_nuts_get_info(s);
            CHECK(info.divergences == 0 && info.max_depth_hits == 0, "%s: no divergences, no tree cut short", name);
            /* The mean over a fixed number of draws after a fixed
               warm-up scatters by a few per cent about the target. */
            CHECK(info.mean_accept > 0.65 && info.mean_accept < 0.97, "%s: acceptance %.3f, asked for 0.8", name,
                  info.mean_accept);
            bml_mcmc_nuts_free(s);
        }
}

/* Sd over four decades: without a fitted mass matrix a trajectory would need 10^4 steps. */
static void test_scales(void) {
    for (int metric = 0; metric < 2; metric++) {
        bml_mcmc_nuts_config c = make_config(20, scales, metric);
        bml_mcmc_nuts *s = run(&c, 0, 1000, "scales");
        double truth[59];
        if (!s) continue;
        for (int k = 0; k < 20; k++) {
            truth[k] = 0;
            truth[20 + k] = sd_of(k, 20) * sd_of(k, 20);
            truth[40 + (k < 19 ? k : 18)] = 0;
        }
        check_moments(s, truth, metric ? "sd 0.01 to 100, dense" : "sd 0.01 to 100, diagonal");
        CHECK_LE(bml_mcmc_nuts_get_info(s).mean_tree, 40, "sd 0.01 to 100: gradients per draw");
        bml_mcmc_nuts_free(s);
    }
}

static void test_bounds(void) {
    const double lower[5] = {0, 0, -infinite, -1, -infinite};
    const double upper[5] = {infinite, 1, 3, infinite, infinite};
    /* E x, E x^2 and products of independent neighbours: exponential 1, 2; Beta(2, 5) 2/7, 3/28; 3 - exponential 2, 5;
       half normal - 1: sqrt(2/pi) - 1, 1 - 2 sqrt(2/pi) + 1; normal 0, 1 */
    const double h = 0.7978845608028654;
    double truth[14] = {1, 2.0 / 7, 2, h - 1, 0, 2, 3.0 / 28, 5, 2 - 2 * h, 1};
    double theta[8];
    bml_mcmc_nuts_config c = make_config(5, walls, BML_MCMC_DIAGONAL);
    double out = 0;
    double off = 0;
    for (int k = 0; k < 4; k++)
        truth[10 + k] = truth[k] * truth[k + 1];
    c.lower = lower;
    c.upper = upper;
    bml_mcmc_nuts *s;
    if (!(s = run(&c, 0.1, 2000, "bounds"))) return;
    check_moments(s, truth, "densities with walls");
    bml_mcmc_chain chain = bml_mcmc_nuts_chain(s);
    double lp;
    for (size_t i = 0; i < chain.n_steps * (size_t)chain.n_walkers; i++) {
        for (int k = 0; k < 5; k++)
            out += !(chain.theta[5 * i + (size_t)k] >= lower[k] && chain.theta[5 * i + (size_t)k] <= upper[k]);
        walls(&lp, theta, chain.theta + 5 * i, 1, 5, NULL);
        off = fmax(off, fabs(lp - chain.log_prob[i]) / (1 + fabs(lp)));
    }
    CHECK(out == 0, "densities with walls: all draws inside");
    CHECK_LE(off, 1e-9, "densities with walls: log-probabilities are those of theta, without the Jacobian");
    bml_mcmc_nuts_free(s);
}

/* The Jacobians alone: a flat density between limits is uniform, with the moments 1/2, 1/3. */
static void flat(double *lp, double *g, const double *x, int n, int d, void *user) {
    (void)x;
    (void)user;
    for (int i = 0; i < n * d; i++) {
        lp[i / d] = 0;
        g[i] = 0;
    }
}
static void test_flat(void) {
    const double lower[3] = {0, 0, 0};
    const double upper[3] = {1, 1, 1};
    const double truth[8] = {0.5, 0.5, 0.5, 1.0 / 3, 1.0 / 3, 1.0 / 3, 0.25, 0.25};
    bml_mcmc_nuts_config c = make_config(3, flat, BML_MCMC_DENSE);
    bml_mcmc_prior_param row[2] = {{.lower = -1, .upper = 2}, {.kind = BML_MCMC_NORMAL, .mean = 0, .sd = 1}};
    bml_mcmc_prior *prior = NULL;
    double lo[2];
    double hi[2];
    c.lower = lower;
    c.upper = upper;
    bml_mcmc_nuts *s;
    if ((s = run(&c, 0.2, 2000, "flat")) != NULL) check_moments(s, truth, "flat in a cube");
    bml_mcmc_nuts_free(s);
    if (!bml_mcmc_prior_create(&prior, row, 2, why)) {
        bml_mcmc_prior_limits(lo, hi, prior);
        CHECK(lo[0] == -1 && hi[0] == 2 && lo[1] == -infinite && hi[1] == infinite, "limits of a prior");
    }
    bml_mcmc_prior_free(prior);
}

/* The neck cannot be entered with the step that suits the mouth: it must be said. */
static void test_funnel(void) {
    bml_mcmc_nuts_config c = make_config(10, funnel, BML_MCMC_DIAGONAL);
    bml_mcmc_nuts *s = run(&c, 0.1, 3000, "funnel");
    if (!s) return;
    CHECK(bml_mcmc_nuts_get_info(s).divergences > 0, "funnel: %d divergences are reported",
          (int)bml_mcmc_nuts_get_info(s).divergences);
    bml_mcmc_nuts_free(s);
}

/* Impossible regions are rejections: E x = 2/3, E y = 1/3, E x^2 = 1/2, E y^2 = 1/6, E x y = 1/4. */
static void test_triangle(void) {
    const double lower[2] = {0, 0};
    const double upper[2] = {1, 1};
    const double truth[5] = {2.0 / 3, 1.0 / 3, 0.5, 1.0 / 6, 0.25};
    bml_mcmc_nuts_config c = make_config(2, triangle, BML_MCMC_DIAGONAL);
    double theta[8] = {0.6, 0.2, 0.7, 0.3, 0.8, 0.4, 0.9, 0.1};
    c.lower = lower;
    c.upper = upper;
    bml_mcmc_nuts *s;
    if (bml_mcmc_nuts_create(&s, &c, why) || bml_mcmc_nuts_start(s, theta) || bml_mcmc_nuts_run(s, 5000))
        CHECK(0, "triangle: %s", bml_mcmc_nuts_message(s));
    else {
        check_moments(s, truth, "flat in a triangle");
        CHECK(bml_mcmc_nuts_get_info(s).walls > 0 && !bml_mcmc_nuts_get_info(s).divergences,
              "flat in a triangle: ends at walls are no divergences");
    }
    bml_mcmc_nuts_free(s);
}

static int same_chain(bml_mcmc_chain a, bml_mcmc_chain b) {
    size_t rows = a.n_steps * (size_t)a.n_walkers;
    return a.n_steps == b.n_steps && rows > 0 && !memcmp(a.theta, b.theta, rows * (size_t)a.n_dim * sizeof(double)) &&
           !memcmp(a.log_prob, b.log_prob, rows * sizeof(double));
}
static int countdown;
static int stop(const bml_mcmc_nuts_progress *p, void *user) {
    (void)user;
    return p->draws > p->last || --countdown == 0;
}

static void test_resume(int metric) {
    bml_mcmc_nuts_config c = make_config(6, correlated, metric);
    bml_mcmc_nuts *parts = NULL;
    bml_mcmc_nuts *loaded = NULL;
    bml_mcmc_nuts *wrong = NULL;
    double theta[24];
    int refused = 0;
    int tried = 0;
    c.warmup = 100;
    bml_mcmc_nuts *whole;
    if (!(whole = run(&c, 0, 200, "resume"))) return;
    for (int i = 0; i < 24; i++)
        theta[i] = 0.3 * (i / 6 + 1) / (i % 6 + 2) / 4;
    c.log_prob = threaded;
    c.progress = stop;
    countdown = 70;
    if (bml_mcmc_nuts_create(&parts, &c, why) || bml_mcmc_nuts_start(parts, theta))
        CHECK(0, "resume: %s", bml_mcmc_nuts_message(parts));
    CHECK(bml_mcmc_nuts_run(parts, 200) == BML_MCMC_CANCELLED, "cancelled in the warm-up");
    countdown = 100;
    int cancelled = bml_mcmc_nuts_run(parts, 200) == BML_MCMC_CANCELLED;
    size_t size = bml_mcmc_nuts_save_size(parts);
    unsigned char *buffer = malloc(size);
    CHECK(cancelled && bml_mcmc_nuts_save(parts, buffer, size - 1) == BML_MCMC_BAD_ARGUMENT &&
              !bml_mcmc_nuts_save(parts, buffer, size),
          "cancelled after it, save: %d bytes", (int)size);
    bml_mcmc_nuts_create(&loaded, &c, why);
    for (size_t cut = 0; cut < size; cut += 1 + size / 50, tried++)
        refused += bml_mcmc_nuts_load(loaded, buffer, cut) == BML_MCMC_BAD_STATE;
    for (size_t at = 0; at < size; at += 1 + size / 50, tried++) {
        buffer[at] ^= 4;
        refused += bml_mcmc_nuts_load(loaded, buffer, size) == BML_MCMC_BAD_STATE;
        buffer[at] ^= 4;
    }
    CHECK(refused == tried, "load: %d of %d truncated or damaged states refused", refused, tried);
    c.log_prob = scales;
    bml_mcmc_nuts_create(&wrong, &c, why);
    CHECK(bml_mcmc_nuts_load(wrong, buffer, size) == BML_MCMC_BAD_STATE, "load: another problem: %s",
          bml_mcmc_nuts_message(wrong));
    bml_mcmc_nuts_free(wrong);
    c.log_prob = correlated;
    c.warmup = 150;
    bml_mcmc_nuts_create(&wrong, &c, why);
    CHECK(bml_mcmc_nuts_load(wrong, buffer, size) == BML_MCMC_BAD_STATE, "load: another warm-up: %s",
          bml_mcmc_nuts_message(wrong));
    bml_mcmc_nuts_free(wrong);
    CHECK(!bml_mcmc_nuts_load(loaded, buffer, size), "load");
    countdown = 0;
    bml_mcmc_nuts_run(loaded, 200 - bml_mcmc_nuts_chain(loaded).n_steps);
    CHECK(same_chain(bml_mcmc_nuts_chain(whole), bml_mcmc_nuts_chain(loaded)),
          "%s: cancelled twice, saved, loaded, threads: equal to the bit", metric ? "dense" : "diagonal");
    free(buffer);
    bml_mcmc_nuts_free(whole);
    bml_mcmc_nuts_free(parts);
    bml_mcmc_nuts_free(loaded);
}

static void test_gradient_check(void) {
    const double theta[4] = {0.3, -1.2, 2.5, 1e3};
    double worst = 0;
    static const struct {
        bml_mcmc_gradient f;
        const char *name;
        int n_dim, expected;
    } row[4] = {{correlated, "right", 4, BML_MCMC_OK},
                {in_float, "in float", 3, BML_MCMC_OK},
                {wrong_sign, "a wrong sign", 4, BML_MCMC_BAD_GRADIENT},
                {slightly_wrong, "wrong by 2 %", 3, BML_MCMC_BAD_GRADIENT}};
    for (int i = 0; i < 4; i++) {
        int status = bml_mcmc_check_gradient(&worst, row[i].f, theta, NULL, row[i].n_dim, NULL);
        CHECK(status == row[i].expected, "gradient check: %s: worst %.2g", row[i].name, worst);
    }
    {
        const bml_mcmc_nuts_config strict = {.n_dim = 3, .n_chains = 1, .seed = seed, .log_prob = slightly_wrong};
        const bml_mcmc_nuts_config lenient = {
            .n_dim = 3, .n_chains = 1, .seed = seed, .log_prob = slightly_wrong, .gradient_tolerance = 0.05};
        const double start[3] = {0.5, 0.2, -0.3};
        bml_mcmc_nuts *s;
        CHECK(!bml_mcmc_nuts_create(&s, &strict, why) && bml_mcmc_nuts_start(s, start) == BML_MCMC_BAD_GRADIENT,
              "a gradient wrong by 2 %% is refused");
        bml_mcmc_nuts_free(s);
        CHECK(!bml_mcmc_nuts_create(&s, &lenient, why) && !bml_mcmc_nuts_start(s, start),
              "and accepted with .gradient_tolerance = 0.05");
        bml_mcmc_nuts_free(s);
    }
    CHECK(bml_mcmc_check_gradient(NULL, correlated, theta, NULL, 4, NULL) == BML_MCMC_BAD_ARGUMENT,
          "gradient check: no place for the answer");
}

static void refuse_create(bml_mcmc_nuts_config c, const char *what) {
    bml_mcmc_nuts *s = NULL;
    int status = bml_mcmc_nuts_create(&s, &c, why);
    CHECK(status == BML_MCMC_BAD_ARGUMENT && !s && why[0] && bml_mcmc_nuts_run(s, 1) == status, "%s: refused: %s", what,
          why);
}
static void refuse_start(bml_mcmc_nuts_config c, const double *theta, int expected, const char *what) {
    bml_mcmc_nuts *s = NULL;
    int status = bml_mcmc_nuts_create(&s, &c, why);
    if (!status) status = bml_mcmc_nuts_start(s, theta);
    CHECK(status == expected && bml_mcmc_nuts_message(s)[0] && bml_mcmc_nuts_run(s, 1) == BML_MCMC_NOT_STARTED,
          "%s: %s: %s", what, bml_mcmc_strerror(status), bml_mcmc_nuts_message(s));
    bml_mcmc_nuts_free(s);
}

static void test_bad_input(void) {
    const double theta[12] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.1, 0.2, 0.3};
    const double zero[3] = {0, 0, 0};
    const double one[3] = {1, 1, 1};
    const double bad[12] = {0.1, not_a_number};
    bml_mcmc_nuts_config good = make_config(3, correlated, BML_MCMC_DIAGONAL);
    bml_mcmc_nuts_config c = good;
    bml_mcmc_nuts *s = NULL;
    CHECK(bml_mcmc_nuts_create(NULL, &good, why) == BML_MCMC_BAD_ARGUMENT &&
              bml_mcmc_nuts_run(NULL, 1) == BML_MCMC_BAD_ARGUMENT,
          "NULL is refused");
    bml_mcmc_nuts_free(NULL);
    c.log_prob = NULL;
    refuse_create(c, "no log_prob");
    c = good;
    c.n_dim = 0;
    refuse_create(c, "no dimensions");
    c = good;
    c.n_chains = -1;
    refuse_create(c, "-1 chains");
    c = good;
    c.warmup = 3;
    refuse_create(c, "warm-up of 3");
    c = good;
    c.target_accept = 1;
    refuse_create(c, "target 1");
    c = good;
    c.target_accept = not_a_number;
    refuse_create(c, "target NaN");
    c = good;
    c.max_depth = 40;
    refuse_create(c, "depth 40");
    c = good;
    c.metric = 2;
    refuse_create(c, "no such metric");
    c = good;
    c.lower = one;
    c.upper = zero;
    refuse_create(c, "limits the wrong way round");
    c = good;
    refuse_start(good, bad, BML_MCMC_BAD_START, "NaN start");
    c.lower = zero;
    c.upper = one;
    refuse_start(c, (double[12]){0.1, 0.2, 1.5}, BML_MCMC_BAD_START, "start outside the limits");
    c = good;
    c.log_prob = wrong_sign;
    refuse_start(c, theta, BML_MCMC_BAD_GRADIENT, "a wrong gradient");
    c = good;
    c.log_prob = no_answer;
    refuse_start(c, theta, BML_MCMC_NAN, "no answer");
    c = good;
    if (bml_mcmc_nuts_create(&s, &good, why)) CHECK(0, "create");
    CHECK(bml_mcmc_nuts_run(s, 10) == BML_MCMC_NOT_STARTED && bml_mcmc_nuts_save_size(s) == 0 &&
              !bml_mcmc_nuts_chain(s).theta,
          "not started: %s", bml_mcmc_nuts_message(s));
    bml_mcmc_nuts_free(s);
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
    quick = getenv("BML_CHECK_QUICK") != NULL;
    test_bad_input();
    test_gradient_check();
    test_gaussians();
    test_scales();
    test_bounds();
    test_flat();
    test_triangle();
    test_funnel();
    test_resume(BML_MCMC_DIAGONAL);
    test_resume(BML_MCMC_DENSE);
    return check_done();
}
