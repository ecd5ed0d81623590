/* test_nested.c: nested sampling of bml_mcmc.h against evidences known in closed form, by quadrature or from papers.
   A run gives z = (ln Z - truth)/quoted error. A normal |z| is above 3 once in 370 and above 4.5 once in 150,000, and
   the sum of N values of z^2 is chi^2 of N degrees: so much is asked of all runs together, and of the spread over
   seeds.
   BML_CHECK_LONG=1: all problems with 20 seeds each, the cheap ones with 100; =2: 100 seeds for all. */
#include "check.h"
#include <float.h>
#include <stdint.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

#define PI 3.14159265358979323846
static const double infinite = (double)INFINITY, not_a_number = (double)NAN;
static uint64_t seed;
static int quick, longer;

/* ---- problems ---- */

/* A likelihood over [lower, upper]^n_dim with a flat prior. */
typedef struct problem {
    const char *name;
    int n_dim;
    double lower, upper, log_z;
    bml_mcmc_log_prob f;
    int live;  /* in the short test; 0: long only */
    int cheap; /* 100 seeds take a minute */
    const double *data;
} problem;

static double log_add(double a, double b) {
    return (a > b ? a : b) + log1p(exp(-fabs(a - b)));
}
static double log_normal(double x, double mean, double sd) {
    return -0.5 * (x - mean) * (x - mean) / (sd * sd) - log(sd * sqrt(2 * PI));
}

/* Every pair correlated by 0.95: covariance (1-r) I + r J. */
static void correlated(double *l, const double *x, int n, int d, void *user) {
    double r = 0.95;
    double det = pow(1 - r, d - 1) * (1 + (d - 1) * r);
    (void)user;
    for (int i = 0; i < n; i++, x += d) {
        double s = 0;
        double q = 0;
        for (int k = 0; k < d; k++) {
            s += x[k];
            q += x[k] * x[k];
        }
        l[i] = -0.5 * ((q - r * s * s / (1 + (d - 1) * r)) / (1 - r) + d * log(2 * PI) + log(det));
    }
}

/* Gaussians of random covariance: data holds d unit vectors, each with its sd behind it. */
static double axes[3][32 * 33];
static void rotated(double *l, const double *x, int n, int d, void *user) {
    const problem *p = user;
    for (int i = 0; i < n; i++, x += d) {
        l[i] = 0;
        for (int a = 0; a < d; a++) {
            const double *axis = p->data + a * (d + 1);
            double along = 0;
            for (int k = 0; k < d; k++)
                along += axis[k] * x[k];
            l[i] += log_normal(along, 0, axis[d]);
        }
    }
}
static void make_axes(double *data, int d, uint64_t stream) {
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, 1, stream);
    for (int a = 0; a < d; a++) { /* Gram-Schmidt on normal vectors; sd log-uniform in 0.1..1 */
        double *v = data + a * (d + 1);
        double norm = 0;
        for (int k = 0; k < d; k++)
            v[k] = bml_mcmc_rng_normal(&rng);
        for (int b = 0; b < a; b++) {
            double along = 0;
            for (int k = 0; k < d; k++)
                along += v[k] * data[b * (d + 1) + k];
            for (int k = 0; k < d; k++)
                v[k] -= along * data[b * (d + 1) + k];
        }
        for (int k = 0; k < d; k++)
            norm += v[k] * v[k];
        for (int k = 0; k < d; k++)
            v[k] /= sqrt(norm);
        v[d] = pow(10, -bml_mcmc_rng_uniform(&rng));
    }
}

static void eggbox(double *l, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d)
        l[i] = pow(2 + cos(x[0] / 2) * cos(x[1] / 2), 5);
}
static void shells(double *l, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d) {
        double rest = 0;
        for (int k = 1; k < d; k++)
            rest += x[k] * x[k];
        double r1 = sqrt(rest + (x[0] - 3.5) * (x[0] - 3.5));
        double r2 = sqrt(rest + (x[0] + 3.5) * (x[0] + 3.5));
        l[i] = log_add(log_normal(r1, 2, 0.1), log_normal(r2, 2, 0.1));
    }
}
static void twin(double *l, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d) {
        double a = -log(2);
        double b = -log(2);
        for (int k = 0; k < d; k++) {
            a += log_normal(x[k], k ? 0.5 : 0.4, 0.01);
            b += log_normal(x[k], k ? 0.5 : 0.6, 0.01);
        }
        l[i] = log_add(a, b);
    }
}
/* Feroz et al. 2013, section 4.4, with shape 1: z - exp(z) - ln s. */
static double log_gamma_1(double x, double centre) {
    double z = (x - centre) * 30;
    return z - exp(z) + log(30);
}
static void log_gamma(double *l, const double *x, int n, int d, void *user) {
    double s = 1.0 / 30;
    (void)user;
    for (int i = 0; i < n; i++, x += d) {
        l[i] = log_add(log_gamma_1(x[0], 1.0 / 3), log_gamma_1(x[0], 2.0 / 3)) - log(2);
        l[i] += log_add(log_normal(x[1], 1.0 / 3, s), log_normal(x[1], 2.0 / 3, s)) - log(2);
        for (int k = 2; k < d; k++)
            l[i] += k < (d + 2) / 2 ? log_gamma_1(x[k], 2.0 / 3) : log_normal(x[k], 2.0 / 3, s);
    }
}
static void rosenbrock(double *l, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d)
        l[i] = -100 * (x[1] - x[0] * x[0]) * (x[1] - x[0] * x[0]) - (1 - x[0]) * (1 - x[0]);
}
static void spike(double *l, const double *x, int n, int d, void *user) {
    (void)user;
    (void)d;
    for (int i = 0; i < n; i++)
        l[i] = fabs(x[i]) < 1e-8 ? log(1e8) : -log(fabs(x[i]));
}
static void plateau(double *l, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d)
        l[i] = x[0] * x[0] + x[1] * x[1] < 9 ? log(2) : 0;
}
/* Fowlie, Handley & Su 2021: hypercubes of volumes 0.7^i, one on another. */
static void cake(double *l, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d) {
        double r = 0;
        for (int k = 0; k < d; k++)
            r = fmax(r, 2 * fabs(x[k] - 0.5));
        l[i] = -pow(0.7, 2 * (r > 0 ? floor(d * log(r) / log(0.7)) : 1e4) / d) / (8 * 0.04);
    }
}
static void funnel(double *l, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d) {
        l[i] = log_normal(x[0], 0, 3);
        for (int k = 1; k < d; k++)
            l[i] += log_normal(x[k], 0, exp(0.5 * x[0]));
    }
}
/* Midpoint rule over v; each x_k integrates to an error function. */
static double funnel_log_z(double half, int d) {
    double sum = 0;
    double h = 2 * half / 20000;
    for (int i = 0; i < 20000; i++) {
        double v = -half + (i + 0.5) * h;
        sum += exp(log_normal(v, 0, 3)) * pow(erf(half * exp(-0.5 * v) / sqrt(2)), d - 1) * h;
    }
    return log(sum) - d * log(2 * half);
}

static problem problems[] = {
    {"Gaussian, rho 0.95, 3-D", 3, -10, 10, -8.987, correlated, 400, 1, NULL},
    {"Gaussian, 8-D", 8, -6, 6, 0, rotated, 200, 0, axes[0]},
    {"Gaussian, 16-D", 16, -6, 6, 0, rotated, 100, 0, axes[1]},
    {"Gaussian, 32-D", 32, -6, 6, 0, rotated, 0, 0, axes[2]},
    {"eggbox", 2, 0, 10 * PI, 235.856, eggbox, 400, 1, NULL},
    {"shells, 2-D", 2, -6, 6, -1.746, shells, 400, 1, NULL},
    {"shells, 5-D", 5, -6, 6, -5.674, shells, 400, 1, NULL},
    {"shells, 10-D", 10, -6, 6, -14.591, shells, 200, 0, NULL},
    {"twin Gaussians, 2-D", 2, 0, 1, 0, twin, 400, 1, NULL},
    {"twin Gaussians, 6-D", 6, 0, 1, 0, twin, 200, 1, NULL},
    {"LogGamma, 2-D", 2, 0, 1, 0, log_gamma, 400, 1, NULL},
    {"LogGamma, 10-D", 10, 0, 1, 0, log_gamma, 200, 0, NULL},
    {"Rosenbrock, 2-D", 2, -5, 5, -5.804, rosenbrock, 400, 1, NULL},
    {"spike", 1, -1, 1, 2.966, spike, 400, 1, NULL},
    {"plateau", 2, -3, 3, 0.580, plateau, 400, 1, NULL},
    {"wedding cake, 5-D", 5, 0, 1, -2.0985, cake, 400, 1, NULL},
    {"funnel, 5-D", 5, -10, 10, 0, funnel, 200, 0, NULL},
};
enum { N_PROBLEMS = sizeof problems / sizeof *problems };

static void make_problems(void) {
    for (int k = 0; k < 3; k++) {
        make_axes(axes[k], 8 << k, (uint64_t)k);
        problems[1 + k].log_z = -(8 << k) * log(12.0);
    }
    problems[N_PROBLEMS - 1].log_z = funnel_log_z(10, 5);
}

/* ---- helpers ---- */

static int box(double *theta, const double *cube, int n, int d, void *user) {
    const problem *p = user;
    for (int i = 0; i < n * d; i++)
        theta[i] = p->lower + (p->upper - p->lower) * cube[i];
    return 0;
}
static char why[BML_MCMC_MESSAGE]; /* what the last create had to say */

static bml_mcmc_nested_config make_config(const problem *p, int live, uint64_t number) {
    bml_mcmc_nested_config c = {.n_dim = p->n_dim,
                                .live_points = live,
                                .seed = number,
                                .log_likelihood = p->f,
                                .transform = box,
                                .user = (void *)(size_t)p};
    return c;
}
/* Makes, runs, and takes the result; NULL after a failed check. */
static bml_mcmc_nested *run(bml_mcmc_nested_result *r, const bml_mcmc_nested_config *c, const char *name) {
    bml_mcmc_nested *s = NULL;
    int status = bml_mcmc_nested_create(&s, c, why);
    if (!status) status = bml_mcmc_nested_run(s, 0);
    if (!status) status = bml_mcmc_nested_get_result(s, r);
    if (!status) return s;
    CHECK(0, "%s: %s: %s", name, bml_mcmc_strerror(status), s ? bml_mcmc_nested_message(s) : why);
    bml_mcmc_nested_free(s);
    return NULL;
}
static uint64_t run_seed(int i) {
    return seed * 1000 + (uint64_t)i;
}

typedef struct tally {
    double z2, worst, sum, sum2, quoted;
    int n, above_3, bad_ranks;
    double evaluations, information;
} tally;

static void add_run(tally *t, const problem *p, int live, int method, int number) {
    bml_mcmc_nested_config c = make_config(p, live, run_seed(number));
    bml_mcmc_nested_result r = {0};
    bml_mcmc_nested *s = NULL;
    c.method = method;
    if (!(s = run(&r, &c, p->name))) return;
    double z = (r.log_z - p->log_z) / r.log_z_error;
    if (!(fabs(z) <= t->worst)) t->worst = fabs(z);
    t->n++;
    t->z2 += z * z;
    t->above_3 += !(fabs(z) <= 3);
    t->bad_ranks += !r.rank_ok;
    t->sum += r.log_z;
    t->sum2 += r.log_z * r.log_z;
    t->quoted += r.log_z_error;
    t->evaluations += (double)r.evaluations;
    t->information += r.information;
    bml_mcmc_nested_free(s);
}

/* How many rare events may happen where `mean` are expected: more of them have a Poisson probability below 2e-4. */
static int at_most(double mean) {
    int allowed = 0;
    double term = exp(-mean);
    double p = 1 - term;
    for (; p > 2e-4; p -= term)
        term *= mean / ++allowed;
    return allowed;
}

/* What n runs of an honest sampler may show. */
static void check_tally(const tally *t, const char *name) {
    const int allowed = at_most(0.0027 * t->n);
    CHECK(t->above_3 <= allowed && t->worst <= 4.5,
          "%s: %d of %d runs are off by more than 3 quoted errors (%d allowed), the worst by %.2f (4.5)", name,
          t->above_3, t->n, allowed, t->worst);
}

/* ---- tests ---- */

/* Every problem with every method that suits it; the z of all runs together. */
static void test_known_answers(void) {
    tally all = {0};
    int seeds = longer ? 2 : 1;
    for (int k = 0; k < N_PROBLEMS; k++) {
        tally t = {0};
        int live = problems[k].live;
        if (!live || (quick && !problems[k].cheap)) continue;
        for (int i = 0; i < seeds; i++)
            add_run(&t, &problems[k], quick ? 100 : live, BML_MCMC_NESTED_AUTO, 100 * k + i);
        CHECK(t.n == seeds && t.worst <= 4.5, "%s: ln Z %.3f, truth %.3f, error %.3f, worst z %.2f, %.0f evaluations",
              problems[k].name, t.sum / t.n, problems[k].log_z, t.quoted / t.n, t.worst, t.evaluations / t.n);
        CHECK(t.bad_ranks == 0, "%s: insertion ranks pass", problems[k].name);
        all.n += t.n;
        all.z2 += t.z2;
        all.above_3 += t.above_3;
        all.worst = fmax(all.worst, t.worst);
    }
    for (int k = 0; k < N_PROBLEMS && !quick; k++) /* region and slices each, where the choice above is the other one */
        if (problems[k].f == funnel || problems[k].f == correlated || problems[k].f == shells)
            if (problems[k].n_dim < 10) add_run(&all, &problems[k], 200, BML_MCMC_NESTED_SLICE, 9000 + k);
    add_run(&all, &problems[10], 200, BML_MCMC_NESTED_REGION, 9100);
    check_tally(&all, "all problems");
    double low = bml_mcmc_chi2_survival(all.z2, all.n);
    double high = 1 - low;
    CHECK(low > 1e-4 && high > 1e-4, "quoted errors: chi^2 %.1f of %d runs, p %.4f", all.z2, all.n, low);
}

/* The spread over seeds against the quoted error. Over n seeds its relative error is 1/sqrt(2 n - 2). */
static void test_spread(void) {
    if (!longer) return;
    for (int k = 0; k < N_PROBLEMS; k++) {
        int many = problems[k].cheap || longer > 1;
        int n = many ? 100 : 20;
        tally t = {0};
        double low = many ? 0.7 : 0.5;
        double high = many ? 1.3 : 1.55;
        for (int i = 0; i < n; i++)
            add_run(&t, &problems[k], 400, BML_MCMC_NESTED_AUTO, 20000 + 100 * k + i);
        double mean = t.sum / n;
        t.quoted /= n;
        double ratio = sqrt((t.sum2 - t.sum * mean) / (n - 1)) / t.quoted;
        CHECK(ratio >= low && ratio <= high,
              "%s: %d seeds, spread/quoted %.2f, must be %.2f to %.2f; mean off by %.2f errors, %.0f evaluations",
              problems[k].name, n, ratio, low, high, (mean - problems[k].log_z) / t.quoted, t.evaluations / n);
        check_tally(&t, problems[k].name);
        CHECK(t.bad_ranks <= at_most(0.001 * n), "%s: insertion ranks, %d of %d runs refused (p < 0.001, %d allowed)",
              problems[k].name, t.bad_ranks, n, at_most(0.001 * n));
    }
}

/* Moments of the posterior, from weights, from draws, and from the summary. Gaussian, sd 1, correlation 0.95. */
static void test_posterior(void) {
    bml_mcmc_nested_config c = make_config(&problems[0], 400, run_seed(1));
    bml_mcmc_nested_result r = {0};
    bml_mcmc_nested *s = run(&r, &c, "posterior");
    bml_mcmc_summary sum[3];
    bml_mcmc_summary by_draws[3];
    double *draw = malloc(3000 * sizeof *draw);
    double *l = malloc(1000 * sizeof *l);
    double again = 0;
    double total = 0;
    double variance = 0;
    double covariance = 0;
    bml_mcmc_chain chain = {draw, NULL, 1000, 1, 3};
    if (!s || !draw || !l) return;
    CHECK(!bml_mcmc_nested_summary(s, sum) && !bml_mcmc_nested_draw(s, draw, l, 1000, seed),
          "posterior: summary and draws");
    const int missing = bml_mcmc_nested_get_result(s, &r);
    CHECK(!missing && r.ess > 500 && r.converged, "posterior: ESS %.0f, information %.2f", r.ess, r.information);
    for (size_t i = 0; i < r.n_points; i++) {
        total += r.weight[i];
        variance += r.weight[i] * r.theta[3 * i] * r.theta[3 * i];
        covariance += r.weight[i] * r.theta[3 * i] * r.theta[3 * i + 1];
    }
    double sigma = 1 / sqrt(r.ess);
    CHECK_NEAR(total, 1, 1e-9, "posterior: sum of weights");
    CHECK_NEAR(variance, 1, 5 * sqrt(2) * sigma, "posterior: variance");
    CHECK_NEAR(covariance, 0.95, 5 * sqrt(1 + 0.95 * 0.95) * sigma, "posterior: covariance");
    CHECK_NEAR(sum[1].mean, 0, 5 * sigma, "posterior: mean");
    CHECK_NEAR(sum[1].median, 0, 5 * 1.2533 * sigma, "posterior: median"); /* sqrt(pi/2) */
    /* sqrt(p(1-p))/phi(1) = 1.51, with the median's */
    CHECK_NEAR(sum[2].plus, 1, 5 * 1.96 * sigma, "posterior: upper error");
    CHECK(sum[0].tau != sum[0].tau && sum[0].rhat != sum[0].rhat, "posterior: tau and R-hat are NaN");
    bml_mcmc_summarize(by_draws, chain);
    sigma = sqrt(1 / r.ess + 1e-3);
    CHECK_NEAR(by_draws[0].mean, 0, 5 * sigma, "draws: mean");
    CHECK_NEAR(by_draws[0].sd, 1, 5 * sigma / sqrt(2), "draws: sd");
    /* 1 + 5 sd of 2 sums of about 5 lags of 1000 draws */
    CHECK_LE(by_draws[0].tau, 1.5, "draws: in random order, tau");
    for (int i = 0; i < 1000; i++) {
        double lp;
        correlated(&lp, draw + 3 * i, 1, 3, NULL);
        again = fmax(again, fabs(lp - l[i]));
    }
    CHECK_LE(again, 1e-12, "draws: log-likelihoods belong to their points");
    /* -ln Z + <ln L>: entropy of the normal, 3/2 ln(2 pi e) + ln(det)/2, against the volume 20^3 */
    CHECK_NEAR(r.information, 3 * log(20.0) - 1.5 * log(2 * PI * exp(1)) - 0.5 * log(0.05 * 0.05 * 2.9),
               5 * 3 * r.log_z_error, "information");
    bml_mcmc_nested_free(s);
    free(draw);
    free(l);
}

/* exp(20 (cos 2 pi x - 1)) in each of 2 dimensions, a peak in the
   corners: one peak if the cube is wrapped, four if not. */
static void corners(double *l, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d) {
        l[i] = 0;
        for (int k = 0; k < d; k++)
            l[i] += 20 * (cos(2 * PI * x[k]) - 1);
    }
}
static int last_clusters;
static int note_clusters(const bml_mcmc_nested_progress *p, void *user) {
    (void)user;
    last_clusters = p->n_clusters;
    return 0;
}
static void test_wrapped(void) {
    problem p = {"wrapped", 2, 0, 1, 0, corners, 0, 0, NULL};
    unsigned char wrapped[2] = {1, 1};
    double bessel = 0;
    double z[2];
    double clusters[2];
    for (int i = 0; i < 1000; i++)
        bessel += exp(20 * (cos(PI * (i + 0.5) / 1000) - 1)) / 1000; /* I0(20) exp(-20) */
    for (int w = 0; w < 2; w++) {
        bml_mcmc_nested_config c = make_config(&p, 200, run_seed(20 + w));
        bml_mcmc_nested_result r = {0};
        bml_mcmc_nested *s = NULL;
        c.wrapped = w ? wrapped : NULL;
        c.progress = note_clusters;
        if (!(s = run(&r, &c, "wrapped"))) return;
        z[w] = (r.log_z - 2 * log(bessel)) / r.log_z_error;
        clusters[w] = last_clusters;
        bml_mcmc_nested_free(s);
    }
    CHECK(fabs(z[0]) <= 4.5 && fabs(z[1]) <= 4.5, "peak in the corners: z %.2f plain, %.2f wrapped", z[0], z[1]);
    CHECK(clusters[0] >= 4 && clusters[1] < 4, "peak in the corners: %g clusters plain, %g wrapped", clusters[0],
          clusters[1]);
}

/* Impossible, or flat, in part or everywhere. */
static void step(double *l, const double *x, int n, int d, void *user) {
    const problem *p = user;
    for (int i = 0; i < n; i++, x += d)
        l[i] = x[0] > p->data[0] ? p->data[1] * x[1] : p->data[2];
}
static void test_plateaus(void) {
    const double data[4][3] = {{0.7, 0, -infinite}, {0.99, 0, -infinite}, {2, 0, 3}, {0.99, 5, -1}};
    /* the last: 0.99 e^-1 + 0.01 (e^5 - 1)/5; 16 x 200 draws that all miss the step have a probability of 1e-14 */
    double truth[4];
    double z2 = 0;
    truth[0] = log(0.3);
    truth[1] = log(0.01);
    truth[2] = 3;
    truth[3] = log(0.99 * exp(-1) + 0.01 * (exp(5) - 1) / 5);
    for (int k = 0; k < 4; k++) {
        problem p = {"steps", 2, 0, 1, truth[k], step, 0, 0, data[k]};
        bml_mcmc_nested_config c = make_config(&p, 200, run_seed(30 + k));
        bml_mcmc_nested_result r = {0};
        bml_mcmc_nested *s = run(&r, &c, p.name);
        if (!s) continue;
        double z = (r.log_z - truth[k]) / (r.log_z_error + 1e-12);
        if (k == 2)
            CHECK(fabs(r.log_z - 3) < 1e-9 && r.information < 1e-9,
                  "flat everywhere: ln Z = %.12g, it ends after %d evaluations", r.log_z, (int)r.evaluations);
        else
            z2 += z * z;
        CHECK(k == 2 || fabs(z) <= 4.5, "steps %d: ln Z %.3f +- %.3f, truth %.3f, %d evaluations", k, r.log_z,
              r.log_z_error, truth[k], (int)r.evaluations);
        bml_mcmc_nested_free(s);
    }
    CHECK(bml_mcmc_chi2_survival(z2, 3) > 1e-4, "steps: chi^2 %.2f of 3", z2);
}

/* Prior N(0, 1) and a table, likelihood N(x; 0.5, 0.2): Z = N(0.5;
   0, sqrt(1.04)) times the mean of y over its density 2 y. */
static void measured(double *l, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, x += d)
        l[i] = log_normal(x[0], 0.5, 0.2) + log(x[1]);
}
static void test_prior(void) {
    const double x[2] = {0, 1};
    const double density[2] = {0, 1};
    bml_mcmc_prior_param row[2] = {{.kind = BML_MCMC_NORMAL, .mean = 0, .sd = 1},
                                   {.kind = BML_MCMC_TABLE, .x = x, .density = density, .n = 2}};
    bml_mcmc_nested_config c = {.n_dim = 2, .live_points = 300, .seed = run_seed(40), .log_likelihood = measured};
    bml_mcmc_nested_result r = {0};
    bml_mcmc_nested *s = NULL;
    bml_mcmc_prior *prior;
    double truth = log_normal(0.5, 0, sqrt(1.04)) + log(2.0 / 3);
    CHECK(!bml_mcmc_prior_create(&prior, row, 2, why), "prior");
    c.prior = prior;
    if ((s = run(&r, &c, "prior")) != NULL)
        CHECK_NEAR(r.log_z, truth, 4.5 * r.log_z_error, "normal and tabulated prior: ln Z");
    bml_mcmc_nested_free(s);
    c.n_dim = 3;
    CHECK(bml_mcmc_nested_create(&s, &c, why) == BML_MCMC_BAD_ARGUMENT && !s && why[0],
          "a prior of another dimension: %s", why);
    bml_mcmc_prior_free(prior);
}

static void test_dynamic(void) {
    bml_mcmc_nested_config c = make_config(&problems[0], 100, run_seed(50));
    bml_mcmc_nested_result r = {0};
    bml_mcmc_nested *s = NULL;
    if (!(s = run(&r, &c, "static"))) return;
    size_t n_static = r.n_points;
    bml_mcmc_nested_free(s);
    c.error = 0.5 * r.log_z_error;
    if (!(s = run(&r, &c, "dynamic"))) return;
    CHECK(r.log_z_error <= c.error && r.passes >= 1, "dynamic: error %.3f, asked for %.3f, %d passes", r.log_z_error,
          c.error, r.passes);
    CHECK_NEAR(r.log_z, problems[0].log_z, 4.5 * r.log_z_error, "dynamic: ln Z");
    CHECK(r.rank_ok, "dynamic: insertion ranks, p = %.3g", r.rank_p);
    bml_mcmc_nested_free(s);
    c.error = 0;
    c.min_ess = 3000;
    if (!(s = run(&r, &c, "dynamic"))) return;
    CHECK(r.ess >= 3000, "dynamic: ESS %.0f, asked for 3000, from %d points (static: %d)", r.ess, (int)r.n_points,
          (int)n_static);
    CHECK_NEAR(r.log_z, problems[0].log_z, 4.5 * r.log_z_error, "dynamic for the posterior: ln Z");
    bml_mcmc_nested_free(s);
}

/* A likelihood that drifts upwards from call to call puts new points
   where they should not be: the rank test must see it. */
static double drift;
static void drifting(double *l, const double *x, int n, int d, void *user) {
    correlated(l, x, n, d, user);
    for (int i = 0; i < n; i++)
        l[i] += (drift += 1e-3);
}
static void test_ranks(void) {
    problem p = problems[0];
    bml_mcmc_nested_result r = {0};
    bml_mcmc_nested *s = NULL;
    p.f = drifting;
    bml_mcmc_nested_config c = make_config(&p, 200, run_seed(60));
    if (bml_mcmc_nested_create(&s, &c, why)) return;
    bml_mcmc_nested_run(s, 20000);
    const int missing = bml_mcmc_nested_get_result(s, &r);
    CHECK(!missing && !r.rank_ok && r.rank_p < 1e-6, "a drifting likelihood: rank p-value %.3g", r.rank_p);
    bml_mcmc_nested_free(s);
}

/* ---- to the bit ---- */

static int same_result(bml_mcmc_nested *a, bml_mcmc_nested *b) {
    bml_mcmc_nested_result r;
    bml_mcmc_nested_result q;
    if (bml_mcmc_nested_get_result(a, &r) || bml_mcmc_nested_get_result(b, &q)) return 0;
    return r.n_points == q.n_points && r.log_z == q.log_z && r.log_z_error == q.log_z_error && r.rank_p == q.rank_p &&
           r.evaluations == q.evaluations && !memcmp(r.theta, q.theta, r.n_points * sizeof(double)) &&
           !memcmp(r.weight, q.weight, r.n_points * sizeof(double));
}
static int calls_left;
static int stop_sometimes(const bml_mcmc_nested_progress *p, void *user) {
    (void)user;
    return !(p->log_z_error >= 0 && p->remaining <= 1) || --calls_left == 0;
}
static void threaded(double *l, const double *x, int n, int d, void *user) {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic)
#endif
    for (int i = 0; i < n; i++)
        rosenbrock(l + i, x + i * d, 1, d, user);
}

/* A cheap stand-in for `correlated`, too wide and a sigma of its narrow axis off its centre. */
static void blunt(double *l, const double *x, int n, int d, void *user) {
    double y[3];
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < d; k++)
            y[k] = 0.6 * x[i * d + k] + 0.2 * (k == 0);
        correlated(l + i, y, 1, d, user);
    }
}

/* Points of the stand-in's runs, weighed by the likelihood itself: its evidence and moments within the quoted errors. */
static void test_reweigh(void) {
    enum { RUNS = 8 };
    problem p = problems[0];
    double chi2 = 0;
    double worst = 0;
    for (int i = 0; i < RUNS; i++) {
        bml_mcmc_nested_config c = make_config(&p, 200, run_seed(200 + i));
        bml_mcmc_nested_result own = {0};
        bml_mcmc_nested_result r = {0};
        bml_mcmc_nested_result again = {0};
        bml_mcmc_summary s[3];
        c.log_likelihood = blunt;
        bml_mcmc_nested *n;
        double *l;
        if (!(n = run(&own, &c, "reweigh")) || !(l = malloc(own.n_points * sizeof *l))) return;
        memcpy(l, own.log_likelihood, own.n_points * sizeof *l);
        const int same = !bml_mcmc_nested_reweigh(n, &r, l) && fabs(r.ess / own.ess - 1) < 1e-9;
        correlated(l, r.theta, (int)r.n_points, 3, NULL);
        const int done = !bml_mcmc_nested_reweigh(n, &r, l) && !bml_mcmc_nested_summary(n, s);
        chi2 += pow((r.log_z - p.log_z) / r.log_z_error, 2);
        for (int k = 0; done && k < 3; k++) /* truth: mean 0, sd 1 */
            worst = fmax(worst, fmax(fabs(s[k].mean), fabs(s[k].sd - 1) * sqrt(2)) * sqrt(r.ess));
        if (i == 0) {
            CHECK(same, "reweigh: the run's own likelihood changes nothing");
            CHECK(done && r.ess > 0.3 * own.ess && r.ess < own.ess && r.log_z_error > own.log_z_error,
                  "reweigh: %.0f of %.0f samples still count", r.ess, own.ess);
            for (size_t k = 0; k < r.n_points; k++)
                l[k] = -infinite;
            CHECK(bml_mcmc_nested_reweigh(n, NULL, l) == BML_MCMC_NO_SUPPORT, "reweigh: no support: %s",
                  bml_mcmc_nested_message(n));
            l[7] = (double)NAN;
            CHECK(bml_mcmc_nested_reweigh(n, NULL, l) == BML_MCMC_NAN, "reweigh: NaN: %s", bml_mcmc_nested_message(n));
            l[7] = infinite;
            CHECK(bml_mcmc_nested_reweigh(n, NULL, l) == BML_MCMC_INFINITE, "reweigh: infinity: %s",
                  bml_mcmc_nested_message(n));
            CHECK(bml_mcmc_nested_reweigh(n, NULL, NULL) == BML_MCMC_BAD_ARGUMENT, "reweigh: NULL is refused");
            CHECK(!bml_mcmc_nested_run(n, 0) && !bml_mcmc_nested_get_result(n, &again) && again.log_z == own.log_z,
                  "reweigh: a run forgets it");
        }
        free(l);
        bml_mcmc_nested_free(n);
    }
    CHECK(chi2 < 26.1, "reweigh: ln Z, chi^2 %.1f of %d runs (p 0.001: 26.1)", chi2, RUNS);
    CHECK(worst < 4.5, "reweigh: means and sd, worst of 48 at %.1f sd", worst); /* p 3e-4; nested's own weights add */
}

static void test_resume(int method, bml_mcmc_log_prob other_f) {
    problem p = problems[12];
    problem other = problems[12];
    bml_mcmc_nested_config c = make_config(&p, 100, run_seed(70));
    bml_mcmc_nested_result r = {0};
    int stops = 0;
    int refused = 0;
    int tried = 0;
    c.method = method;
    c.error = 0.15;
    bml_mcmc_nested *whole;
    if (!(whole = run(&r, &c, "resume"))) return;
    c.progress = stop_sometimes;
    p.f = threaded;
    c.log_likelihood = threaded;
    bml_mcmc_nested *parts;
    bml_mcmc_nested_create(&parts, &c, why);
    calls_left = 7;
    /* short runs, cancelled now and then */
    bml_mcmc_nested *loaded;
    bml_mcmc_nested *wrong;
    int status;
    while ((status = bml_mcmc_nested_run(parts, 400)) != BML_MCMC_OK && stops < 1000) {
        if (status == BML_MCMC_CANCELLED)
            calls_left = 7 + 10 * stops;
        else if (status != BML_MCMC_NOT_CONVERGED)
            break;
        if (++stops != 6) continue;
        size_t size = bml_mcmc_nested_save_size(parts);
        unsigned char *buffer = malloc(size);
        CHECK(bml_mcmc_nested_save(parts, buffer, size - 1) == BML_MCMC_BAD_ARGUMENT,
              "save: a buffer too small is refused");
        CHECK(!bml_mcmc_nested_save(parts, buffer, size), "save: %d bytes", (int)size);
        bml_mcmc_nested_create(&loaded, &c, why);
        for (size_t cut = 0; cut < size; cut += 1 + size / 50, tried++)
            refused += bml_mcmc_nested_load(loaded, buffer, cut) == BML_MCMC_BAD_STATE;
        for (size_t at = 0; at < size; at += 1 + size / 50, tried++) {
            buffer[at] ^= 4;
            refused += bml_mcmc_nested_load(loaded, buffer, size) == BML_MCMC_BAD_STATE;
            buffer[at] ^= 4;
        }
        CHECK(refused == tried, "load: %d of %d truncated or damaged states refused", refused, tried);
        other.f = other_f;
        {
            bml_mcmc_nested_config o = make_config(&other, 100, run_seed(70));
            o.method = method;
            bml_mcmc_nested_create(&wrong, &o, why);
            CHECK(bml_mcmc_nested_load(wrong, buffer, size) == BML_MCMC_BAD_STATE, "load: another problem: %s",
                  bml_mcmc_nested_message(wrong));
            bml_mcmc_nested_free(wrong);
            o.seed++;
            bml_mcmc_nested_create(&wrong, &o, why);
            CHECK(bml_mcmc_nested_load(wrong, buffer, size) == BML_MCMC_BAD_STATE, "load: another seed: %s",
                  bml_mcmc_nested_message(wrong));
            bml_mcmc_nested_free(wrong);
        }
        CHECK(!bml_mcmc_nested_load(loaded, buffer, size), "load: %s", bml_mcmc_nested_message(loaded));
        bml_mcmc_nested_free(parts);
        parts = loaded;
        free(buffer);
    }
    CHECK(status == BML_MCMC_OK && stops > 10 && same_result(whole, parts),
          "%s: %d stops, a resume, threads: equal to the bit", method == BML_MCMC_NESTED_SLICE ? "slices" : "region",
          stops);
    bml_mcmc_nested_free(whole);
    bml_mcmc_nested_free(parts);
}

/* ---- bad input ---- */

static void nothing(double *l, const double *x, int n, int d, void *user) {
    (void)l;
    (void)x;
    (void)n;
    (void)d;
    (void)user;
}
static void nowhere(double *l, const double *x, int n, int d, void *user) {
    (void)x;
    (void)d;
    (void)user;
    for (int i = 0; i < n; i++)
        l[i] = -infinite;
}
static void too_much(double *l, const double *x, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n; i++)
        l[i] = x[i * d] > 0.5 ? infinite : 0;
}
static int fails(double *theta, const double *cube, int n, int d, void *user) {
    (void)theta;
    (void)cube;
    (void)n;
    (void)d;
    (void)user;
    return 1;
}
static int leaves(double *theta, const double *cube, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n * d; i++)
        theta[i] = 1 / (cube[i] < 0.1 ? 0 : cube[i]);
    return 0;
}
static int nan_sometimes(double *theta, const double *cube, int n, int d, void *user) {
    (void)user;
    for (int i = 0; i < n * d; i++)
        theta[i] = cube[i] < 0.1 ? not_a_number : cube[i];
    return 0;
}

static void refuse_create(bml_mcmc_nested_config c, const char *what) {
    bml_mcmc_nested *s = NULL;
    int status = bml_mcmc_nested_create(&s, &c, why);
    CHECK(status == BML_MCMC_BAD_ARGUMENT && !s && why[0] && bml_mcmc_nested_run(s, 0) == status, "%s: refused: %s",
          what, why);
}
static void refuse_run(bml_mcmc_nested_config c, int expected, const char *what) {
    bml_mcmc_nested *s = NULL;
    bml_mcmc_nested_result r = {0};
    int status = bml_mcmc_nested_create(&s, &c, why);
    if (!status) status = bml_mcmc_nested_run(s, 0);
    CHECK(status == expected && bml_mcmc_nested_message(s)[0], "%s: %s: %s", what, bml_mcmc_strerror(status),
          bml_mcmc_nested_message(s));
    status = bml_mcmc_nested_get_result(s, &r);
    CHECK(status == BML_MCMC_NOT_STARTED || (status == expected && expected == BML_MCMC_NO_SUPPORT),
          "%s: and no result", what);
    bml_mcmc_nested_free(s);
}

static void test_bad_input(void) {
    bml_mcmc_nested_config good = make_config(&problems[9], 50, 1);
    bml_mcmc_nested_config c = good;
    bml_mcmc_nested_result r = {0};
    bml_mcmc_nested *s = NULL;
    CHECK(bml_mcmc_nested_create(NULL, &good, why) == BML_MCMC_BAD_ARGUMENT &&
              bml_mcmc_nested_run(NULL, 0) == BML_MCMC_BAD_ARGUMENT,
          "NULL is refused");
    bml_mcmc_nested_free(NULL);
    CHECK(bml_mcmc_nested_create(&s, NULL, why) == BML_MCMC_BAD_ARGUMENT && !s && why[0], "no config: %s", why);
    c.live_points = 6;
    refuse_create(c, "fewer live points than n_dim + 1");
    c = good;
    c.live_points = -1;
    refuse_create(c, "negative live points");
    c = good;
    c.n_dim = 0;
    refuse_create(c, "no dimensions");
    c = good;
    c.log_likelihood = NULL;
    refuse_create(c, "no likelihood");
    c = good;
    c.transform = NULL;
    refuse_create(c, "no prior");
    c = good;
    c.replace = 40;
    refuse_create(c, "replace above half");
    c = good;
    c.remaining = not_a_number;
    refuse_create(c, "remaining NaN");
    c = good;
    c.remaining = 1;
    refuse_create(c, "remaining 1");
    c = good;
    c.error = -1;
    refuse_create(c, "negative error");
    c = good;
    c.min_ess = not_a_number;
    refuse_create(c, "ESS NaN");
    c = good;
    c.method = 7;
    refuse_create(c, "no such method");
    c = good;
    c.sweeps = -1;
    refuse_create(c, "negative sweeps");
    c = good;
    c.log_likelihood = nothing;
    refuse_run(c, BML_MCMC_NAN, "a likelihood that answers nothing");
    c = good;
    c.log_likelihood = nowhere;
    refuse_run(c, BML_MCMC_NO_SUPPORT, "a likelihood that is -infinite everywhere");
    c = good;
    c.log_likelihood = too_much;
    refuse_run(c, BML_MCMC_INFINITE, "a likelihood that is +infinite");
    c = good;
    c.transform = fails;
    refuse_run(c, BML_MCMC_BAD_TRANSFORM, "a transform that fails");
    c = good;
    c.transform = leaves;
    refuse_run(c, BML_MCMC_BAD_TRANSFORM, "a transform that gives infinity");
    c = good;
    c.transform = nan_sometimes;
    refuse_run(c, BML_MCMC_BAD_TRANSFORM, "a transform that gives NaN");
    c = good;
    if (bml_mcmc_nested_create(&s, &good, why)) return;
    const int status = bml_mcmc_nested_run(s, 1000);
    const int missing = bml_mcmc_nested_get_result(s, &r);
    CHECK(status == BML_MCMC_NOT_CONVERGED && !missing && !r.converged && r.log_z_error >= 0,
          "out of budget: not converged, ln Z so far %.3f: %s", r.log_z, bml_mcmc_nested_message(s));
    CHECK(bml_mcmc_nested_draw(s, NULL, NULL, 10, 0) == BML_MCMC_BAD_ARGUMENT, "draws to nowhere are refused");
    bml_mcmc_nested_free(s);
}

int main(int argc, char **argv) {
    const char *text = getenv("BML_CHECK_LONG");
    seed = check_seed(argc, argv);
    quick = getenv("BML_CHECK_QUICK") != NULL;
    longer = text ? atoi(text) : 0;
    make_problems();
    test_bad_input();
    test_plateaus();
    test_prior();
    test_wrapped();
    test_posterior();
    test_dynamic();
    test_ranks();
    test_reweigh();
    test_resume(BML_MCMC_NESTED_AUTO, plateau);
    test_resume(BML_MCMC_NESTED_SLICE, plateau);
    test_known_answers();
    test_spread();
    return check_done();
}
