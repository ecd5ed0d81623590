/* test_sample.c: bml_sample.h against quadrature at extended precision, closed forms, exact two-body kinematics and
   statistics. Random comparisons use the Kolmogorov-Smirnov distance D of N draws from the true CDF: D sqrt(N) exceeds
   2.6 with probability 2 exp(-2 x 2.6^2) = 3e-6 (Smirnov's limit). BML_CHECK_LONG=1 adds draws and the whole grid in
   double. */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wdouble-promotion" /* quadrature in long double is the point here */
#endif
#include "check.h"
#include <stdint.h>
#include <string.h>
#ifndef __FAST_MATH__ /* -Ofast: bml_nn.h refuses, and all else must hold */
#define BML_NN_IMPLEMENTATION
#define BML_SAMPLE_TRAIN
#endif
#undef BML_SAMPLE_IMPLEMENTED /* what lies inside is tested, too */
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

enum { LARGE = 400000 };
static const double KS = 2.6;
static int quick, lengthy;
static double draws[LARGE];

/* ---- quadrature at extended precision, 10-point Gauss-Legendre on panels ---- */
static long double panels(long double (*f)(long double x, const void *p), const void *p, long double a, long double b,
                          int n) {
    static const long double x[5] = {0.1488743389816312108848260L, 0.4333953941292471907992659L,
                                     0.6794095682990244062343274L, 0.8650633666889845107320967L,
                                     0.9739065285171717200779640L};
    static const long double w[5] = {0.2955242247147528701738930L, 0.2692667193099963550912269L,
                                     0.2190863625159820439955349L, 0.1494513491505805931457763L,
                                     0.0666713443086881375935688L};
    long double sum = 0;
    long double h = (b - a) / n / 2;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < 5; k++) {
            long double m = a + h * (2 * i + 1);
            sum += w[k] * (f(m - h * x[k], p) + f(m + h * x[k], p));
        }
    }
    return sum * h;
}

/* sums[3]: Jones' kernel as printed, that times 1 - E, and times E, integrated over E with E = 1 - e^-l from one l to
   another; even panels in ln l do justice to q ln q at the lower end. */
static void kernel_sums(long double *sums, long double b, long double from, long double to) {
    static const long double x[5] = {0.1488743389816312108848260L, 0.4333953941292471907992659L,
                                     0.6794095682990244062343274L, 0.8650633666889845107320967L,
                                     0.9739065285171717200779640L};
    static const long double w[5] = {0.2955242247147528701738930L, 0.2692667193099963550912269L,
                                     0.2190863625159820439955349L, 0.1494513491505805931457763L,
                                     0.0666713443086881375935688L};
    int n = 40 + (int)(20 * to); /* so that panels are l/20 and less at the upper end, where l is large */
    long double h = logl(to / from) / n / 2;
    long double start = logl(from);
    sums[0] = sums[1] = sums[2] = 0;
    for (int i = 0; i < n; i++) {
        for (int k = -5; k <= 5; k++) {
            if (k == 0) continue;
            long double l = expl(start + h * (2 * i + 1) + (k < 0 ? -h * x[-k - 1] : h * x[k - 1]));
            long double z = expm1l(l);
            long double q = z / b;
            long double E = z / (1 + z);
            if (q > 1) q = 1;
            long double f = 2 * q * logl(q) + (1 + 2 * q) * (1 - q) + b * q * b * q * (1 - q) / (2 * (1 + b * q));
            f *= w[abs(k) - 1] * h * l / (1 + z);
            sums[0] += f;
            sums[1] += f / (1 + z);
            sums[2] += f * E;
        }
    }
}

/* ---- generator ---- */
static void test_generator(void) {
    static const uint32_t counter[3][4] = {{0, 0, 0, 0},
                                           {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                                           {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}};
    static const uint32_t key[3][2] = {{0, 0}, {0xffffffff, 0xffffffff}, {0xa4093822, 0x299f31d0}};
    static const uint32_t want[3][4] = {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                                        {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                                        {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
    uint32_t got[4];
    uint32_t words[64];
    int same = 1;
    for (int i = 0; i < 3; i++) {
        bml_sample_philox(got, counter[i], key[i]);
        CHECK(!memcmp(got, want[i], sizeof got), "Philox4x32-10, known answer %d of Random123", i);
    }
    bml_sample_rng a;
    bml_sample_rng_init(&a, 77, 5);
    a.counter[0] = 0xFFFFFFF8u; /* the batch runs over the end of the low word */
    bml_sample_rng b = a;
    bml_sample__words(words, 16, &a);
    for (int j = 0; j < 16; j++) {
        for (int k = 0; k < 4; k++) {
            same &= bml_sample_rng_u32(&b) == words[k * 16 + j];
        }
    }
    CHECK(same && a.counter[0] == 8 && a.counter[3] == 0xFFFFFFFEu,
          "blocks made side by side are those made one by one, with the carry");
}

static double ks(double *x, int n, double (*cdf)(double x, const void *p), const void *p) {
    double d = 0;
    bml_sample__sort(x, n);
    for (int i = 0; i < n; i++) {
        double c = cdf(x[i], p);
        d = fmax(d, fmax(c - (double)i / n, (double)(i + 1) / n - c));
        if (!(c >= 0 && c <= 1)) return 1e9;
    }
    return d * sqrt(n);
}

static double identity(double x, const void *p) {
    (void)p;
    return x;
}
static double normal_cdf(double x, const void *p) {
    (void)p;
    return 0.5 * erfc(-x / sqrt(2));
}

static void test_uniforms(bml_sample_rng *rng) {
    int n = quick ? 20000 : LARGE;
    int out = 0;
    bml_sample_rng_fill(draws, (size_t)n, rng);
    for (int i = 0; i < n; i++) {
        out += !(draws[i] > 0 && draws[i] < 1);
    }
    CHECK(!out, "uniforms lie inside (0,1)");
    CHECK_LE(ks(draws, n, identity, NULL), KS, "uniforms, D sqrt(N)");
    for (int i = 0; i < n; i++) {
        draws[i] = bml_sample_rng_normal(rng);
    }
    CHECK_LE(ks(draws, n, normal_cdf, NULL), KS, "normals, D sqrt(N)");
    CHECK(bml_sample__unit(0, 0) > 0 && bml_sample__unit(0xFFFFFFFFu, 0xFFFFFFFFu) <= 1, "the ends of the uniform");
}

/* ---- Compton: closed forms against quadrature ---- */
static void test_rates(void) {
    double worst[3] = {0, 0, 0};
    double ratio = 0;
    bml_sample_rates r = {0, 0, 0, 0};
    for (double lb = -13; lb <= 14.01; lb += quick ? 1.5 : 0.137) {
        double b = pow(10, lb);
        double sums[3];
        double L = log1p(b);
        long double want[3];
        kernel_sums(want, (long double)b, (long double)L * expl(-42),
                    (long double)L); /* what lies below is e^-42 = 6e-19 of the integrals */
        bml_sample__sums(sums, L, b);
        for (int k = 0; k < 3; k++) {
            worst[k] = fmax(worst[k], fabs((double)(sums[k] / want[k] - 1)));
        }
        bml_sample_compton_rates(&r, b);
        ratio = fmax(ratio, fabs((double)(r.rate * b / (3 * want[0]) - 1)));
        ratio = fmax(ratio, fabs((double)(r.loss * b / (3 * want[2]) - 1)));
        ratio = fmax(ratio, fabs((double)(r.mean_energy * want[0] / want[2] - 1)));
        ratio = fmax(ratio, fabs((double)(r.mean_rest * want[0] / want[1] - 1)));
    }
    CHECK_LE(worst[0], 1e-12, "int f dE, b = 1e-13 ... 1e14, relative to quadrature at extended precision");
    CHECK_LE(worst[1], 1e-12, "int f (1-E) dE");
    CHECK_LE(worst[2], 1e-12, "int f E dE");
    CHECK_LE(ratio, 1e-10, "rate, loss and means (the issue's 1e-10)");
    bml_sample_compton_rates(&r, 1e-12);
    CHECK_NEAR(r.rate, 1, 1e-11, "Thomson limit of the rate");
    CHECK_NEAR(r.loss * 3 / 1e-12, 1, 1e-11, "Thomson limit of the loss, b/3 = 4/3 gamma^2 eps0 over gamma");
    /* The mean over directions of (1 - mu) sigma(x), sigma = 3/(8x) (ln 2x + 1/2), x = b (1 - mu)/4; the rest is
       O(ln^2 b/b). */
    bml_sample_compton_rates(&r, 1e12);
    CHECK_NEAR(r.rate * 1e12 / 1.5, log(1e12) - 0.5, 1e-8, "Klein-Nishina limit of the rate, (3/2b)(ln b - 1/2)");
    CHECK(bml_sample_compton_rates(&r, 0) == BML_SAMPLE_BAD_ARGUMENT &&
              bml_sample_compton_rates(&r, NAN) == BML_SAMPLE_BAD_ARGUMENT &&
              bml_sample_compton_rates(NULL, 1) == BML_SAMPLE_BAD_ARGUMENT &&
              bml_sample_compton_rates(&r, 1e-300) == BML_SAMPLE_OK && fabs(r.rate - 1) < 1e-12,
          "rates: bad arguments, and b = 1e-300");
}

/* Random (gamma, eps0) where Jones' kernel is drawn from; every fourth is pushed to the edge where no energy is left.
   */
static void random_pair(double *gamma, double *eps0, int i, bml_sample_rng *rng) {
    do {
        *gamma = 20 * pow(10, 9.69 * bml_sample_rng_uniform(rng));
        *eps0 = pow(10, -13 + 15 * bml_sample_rng_uniform(rng));
        if (i % 4 == 0) {
            *gamma = 20 + 70 * pow(bml_sample_rng_uniform(rng), 2);
            double most = *gamma - 0.25 / *gamma;
            *eps0 = most * (1 - 0.5 * pow(10, -3 * bml_sample_rng_uniform(rng)));
        }
    } while (!bml_sample__in_domain(*gamma, *eps0));
}

static void test_exact(bml_sample_rng *rng) {
    double worst = 0;
    double worst_cdf = 0;
    double low = 0;
    int n = quick ? 60 : 1500;
    for (int i = 0; i < n; i++) {
        double gamma;
        double eps0;
        double u = bml_sample_rng_uniform(rng);
        double eps = 0;
        double rest = 0;
        double cdf = 0;
        random_pair(&gamma, &eps0, i, rng);
        if (i % 3 == 1) u = pow(10, -12 * u);
        if (i % 3 == 2) u = 1 - pow(10, -12 * u);
        bml_sample_photons how = {
            .n = 1, .gamma = &gamma, .eps0 = &eps0, .method = BML_SAMPLE_EXACT, .u = &u, .rest = &rest};
        if (bml_sample_compton(&eps, &how, NULL)) eps = rest = (double)NAN;
        double b = 4 * gamma * eps0;
        long double from = log1pl(eps0 / ((long double)gamma - eps0));
        long double L = log1pl(b);
        long double l = eps < 0.5 * gamma ? -log1pl(-(long double)eps / gamma) : -logl(rest);
        long double whole[3];
        long double below[3] = {0, 0, 0};
        kernel_sums(whole, b, from, L);
        if (l > from) kernel_sums(below, b, from, l);
        double got = (double)(below[0] / whole[0]);
        worst = fmax(worst, fabs(got - u));
        low = fmax(low, fabs(got / u - 1) / (1 + eps / (eps - eps0)));
        bml_sample_compton_cdf(&cdf, eps, gamma, eps0);
        if (eps < 0.9 * gamma) worst_cdf = fmax(worst_cdf, fabs(cdf - got));
        if (!(worst < 1)) break;
    }
    CHECK_LE(worst, 1e-12, "exact: residual |C(x(u)) - u| by quadrature, all over the domain and at its edge");
    /* eps itself is rounded: 1e-16 eps/(eps - eps0) of u, and u_min moves u by as much */
    CHECK_LE(low, 1e-12, "exact: relative residual down to u = 1e-12, over 1 + eps/(eps - eps0)");
    CHECK_LE(worst_cdf, 1e-11, "bml_sample_compton_cdf, eps < 0.9 gamma"); /* 1 - E keeps 1e-16/0.1 */
}

/* ---- Compton: net and table, float and double, over the domain ---- */
typedef struct {
    double gamma, eps0;
    int method, twice; /* twice: in double */
    bml_sample__pair_of pair;
} sampler;
static bml_sample_compton_nodes nodes;
enum { POINTS = 4000 };
static double l_of[POINTS]; /* of the energies drawn last */

static void draw_l(double *y, const double *u, int n, void *user) {
    const sampler *s = user;
    static float uf[POINTS];
    static float ef[POINTS];
    static float rf[POINTS];
    static double rd[POINTS];
    float g = (float)s->gamma;
    float e = (float)s->eps0;
    bml_sample_photonsf f = {.n = (size_t)n,
                             .gamma = &g,
                             .eps0 = &e,
                             .one_gamma = 1,
                             .one_eps0 = 1,
                             .method = s->method,
                             .nodes = &nodes,
                             .u = uf,
                             .rest = rf};
    bml_sample_photons d = {.n = (size_t)n,
                            .gamma = &s->gamma,
                            .eps0 = &s->eps0,
                            .one_gamma = 1,
                            .one_eps0 = 1,
                            .method = s->method,
                            .nodes = &nodes,
                            .u = u,
                            .rest = rd};
    for (int i = 0; i < n; i++) {
        uf[i] = (float)u[i];
    }
    int status = s->twice ? bml_sample_compton(y, &d, NULL) : bml_sample_comptonf(ef, &f, NULL);
    for (int i = 0; i < n; i++) {
        double eps = s->twice ? y[i] : (double)ef[i];
        double rest = s->twice ? rd[i] : (double)rf[i];
        if (status || !(eps >= s->eps0)) eps = rest = (double)NAN;
        y[i] = eps < 0.5 * s->gamma && s->eps0 < 0.4 * s->gamma ? -log1p(-eps / s->gamma) : -log(rest);
        l_of[i] = y[i];
    }
}

static void cdf_l(double *c, const double *l, int n, void *user) {
    const sampler *s = user;
    for (int i = 0; i < n; i++) {
        double above;
        double slope;
        c[i] = l[i] <= s->pair.l_min ? 0
               : l[i] >= s->pair.L   ? 1
                                     : bml_sample__conditional(&above, &slope, l[i], &s->pair);
        if (l[i] != l[i]) c[i] = l[i];
    }
}

typedef struct {
    double cdf, js, energy, rest;
    int falls, n;
} worst_of;

/* The four samplers at one pair of energies: those of `which`, bit by bit. */
static void measure_pair(worst_of *w, double gamma, double eps0, int which) {
    volatile float g = (float)gamma;
    volatile float e = (float)eps0; /* gcc 12 leaves out a plain (double)(float)x here */
    sampler s = {.gamma = (double)g, .eps0 = (double)e};
    bml_sample_check check = {draw_l, cdf_l, &s, POINTS, 200};
    long double want[3];
    double top = s.gamma * 4 * s.gamma * s.eps0 / (1 + 4 * s.gamma * s.eps0);
    if (!bml_sample__has_kernel(s.gamma, s.eps0)) return;
    bml_sample__prepare_pair(&s.pair, s.gamma, s.eps0);
    long double from = log1pl(s.eps0 / ((long double)s.gamma - s.eps0));
    long double L = log1pl(s.pair.b);
    kernel_sums(want, s.pair.b, from, L);
    for (int m = 0; m < 4; m++) {
        bml_sample_quality q = {1e9, 1e9, 1e9, 1};
        double energy = 0;
        double rest = 0;
        if (!(which >> m & 1)) continue;
        /* float energies are 6e-8 apart: where all lie within 1 % of each other that is 6e-6 of the CDF, and it is not
           the method's */
        if (m < 2 && top - s.eps0 < 0.01 * top) continue;
        s.method = m % 2;
        s.twice = m / 2;
        bml_sample_check_inverse(&q, &check);
        for (int i = 0; i < POINTS; i++) {
            energy += -expm1(-l_of[i]) / POINTS;
            rest += exp(-l_of[i]) / POINTS;
        }
        w[m].n++;
        for (int i = 1; i < POINTS; i++) {
            w[m].falls += !(l_of[i] >= l_of[i - 1] - (m < 2 ? 5e-7 : 1e-14) * fmin(l_of[i], 1)); /* 4 ulp */
        }
        w[m].cdf = fmax(w[m].cdf, q.max_error >= 0 ? q.max_error : 1e9);
        w[m].js = fmax(w[m].js, q.js);
        w[m].energy = fmax(w[m].energy, fabs((double)(energy * want[0] / want[2] - 1)));
        w[m].rest = fmax(w[m].rest, fabs((double)(rest * want[0] / want[1] - 1)));
    }
}

static void report(const char *name, const worst_of *w, double cdf, double js, double energy, double rest) {
    printf("      %s: %d pairs\n", name, w->n);
    CHECK_LE(w->cdf, cdf, "  max CDF error");
    CHECK_LE(w->energy, energy, "  mean energy, relative");
    if (js > 0) {
        CHECK_LE(w->js, js, "  Jensen-Shannon divergence, 200 equal bins [nats]");
    } else {
        printf("        Jensen-Shannon divergence, 200 equal bins: %.2g nats\n", w->js);
    }
    if (rest > 0) {
        CHECK_LE(w->rest, rest, "  mean of 1 - E, relative");
    } else {
        printf("        mean of 1 - E, relative: %.2g\n", w->rest);
    }
    CHECK(w->falls == 0, "  x rises with u");
}

static void test_domain(bml_sample_rng *rng) {
    static const char *name[4] = {"net, float", "table, float", "net, double", "table, double"};
    worst_of grid[4] = {{0, 0, 0, 0, 0, 0}};
    worst_of off[4] = {{0, 0, 0, 0, 0, 0}};
    int steps = quick ? 6 : lengthy ? 60 : 30;
    int random = quick ? 20 : lengthy ? 400 : 200;
    for (int i = 0; i < steps; i++) {
        for (int k = 0; k < steps; k++) {
            measure_pair(grid, 20 * pow(10, 9.69 * i / (steps - 1)), pow(10, -13 + 15.0 * k / (steps - 1)),
                         lengthy ? 15 : 3);
        }
    }
    for (int i = 0; i < random; i++) {
        double gamma;
        double eps0;
        random_pair(&gamma, &eps0, i, rng);
        measure_pair(off, gamma, eps0, 15);
    }
    for (int m = 0; m < 4; m++) {
        if (grid[m].n) {
            report(name[m], &grid[m], m % 2 ? 3e-4 : 2e-4, m % 2 ? 0 : 1e-6, 1e-4, m % 2 ? 0 : 1e-4);
        }
        printf("      off the grid, and at the edge of the domain:\n");
        report(name[m], &off[m], m % 2 ? 3e-4 : 2e-4, m % 2 ? 0 : 1e-6, 1e-4, m % 2 ? 0 : 1e-4);
    }
    CHECK_LE((double)sizeof nodes.n, 65536, "bytes of the table");
}

static double conditional_cdf(double l, const void *p) {
    double above;
    double slope;
    const bml_sample__pair_of *pair = p;
    return l <= pair->l_min ? 0 : l >= pair->L ? 1 : bml_sample__conditional(&above, &slope, l, pair);
}

/* Drawn from the generator: the histogram follows the CDF. */
static void test_compton_draws(bml_sample_rng *rng) {
    static float ef[LARGE];
    static float rf[LARGE];
    static const double cases[4][2] = {{1e4, 1e-9}, {20, 10}, {1e3, 0.1}, {1e10, 50}};
    int n = quick ? 10000 : 200000;
    for (int c = 0; c < 4; c++) {
        for (int m = 0; m < 3; m++) {
            float g = (float)cases[c][0];
            float e = (float)cases[c][1];
            bml_sample_photonsf how = {.n = (size_t)n,
                                       .gamma = &g,
                                       .eps0 = &e,
                                       .one_gamma = 1,
                                       .one_eps0 = 1,
                                       .method = m,
                                       .nodes = &nodes,
                                       .rest = rf};
            char text[80];
            if (m == 2) how.n = (size_t)n / 4;
            bml_sample__pair_of pair;
            bml_sample__prepare_pair(&pair, (double)g, (double)e);
            if (bml_sample_comptonf(ef, &how, rng)) ef[0] = NAN;
            for (size_t i = 0; i < how.n; i++) {
                draws[i] = ef[i] < 0.5f * g ? -log1p(-(double)ef[i] / (double)g) : -log((double)rf[i]);
            }
            snprintf(text, sizeof text, "drawn energies, gamma %g, eps0 %g, method %d: D sqrt(N)", cases[c][0],
                     cases[c][1], m);
            CHECK_LE(ks(draws, (int)how.n, conditional_cdf, &pair), KS, text);
        }
    }
}

/* The same numbers however a call is put. */
static void test_calls(void) {
    enum { N = 1000 };
    static float g[N];
    static float e[N];
    static float u[N];
    static float a[N];
    static float b[N];
    static float c[N];
    static float r[N];
    static double gd[N];
    static double ed[N];
    static double ud[N];
    static double ad[N];
    double apart = 0;
    bml_sample_rng r1;
    int same = 1;
    int one_by_one = 1;
    bml_sample_rng_init(&r1, 3, 9);
    for (int i = 0; i < N; i++) {
        double x;
        double y;
        random_pair(&x, &y, 1, &r1);
        gd[i] = (double)(g[i] = (float)x);
        ed[i] = (double)(e[i] = (float)y);
        ud[i] = (double)(u[i] = (float)bml_sample_rng_uniform(&r1));
    }
    bml_sample_rng r2;
    for (int m = 0; m < 3; m++) {
        bml_sample_photonsf how = {.n = N, .gamma = g, .eps0 = e, .method = m, .nodes = &nodes, .u = u};
        bml_sample_photons twice = {.n = N, .gamma = gd, .eps0 = ed, .method = m, .nodes = &nodes, .u = ud};
        bml_sample_comptonf(a, &how, NULL);
        bml_sample_compton(ad, &twice, NULL);
        for (int i = 0; i < N; i++) {
            bml_sample_photonsf single = {.n = 1,
                                          .gamma = g + i,
                                          .eps0 = e + i,
                                          .one_gamma = i % 2,
                                          .one_eps0 = i % 3 == 0,
                                          .method = m,
                                          .nodes = &nodes,
                                          .u = u + i};
            bml_sample_comptonf(b + i, &single, NULL);
            one_by_one &=
                fabsf(b[i] - a[i]) <= 1e-5f * a[i]; /* a vector loop and its rest may contract products differently */
            apart = fmax(apart, fabs(ad[i] / (double)a[i] - 1));
        }
        how.u = NULL;
        bml_sample_rng_init(&r1, 11, 4);
        bml_sample_rng_init(&r2, 11, 4);
        bml_sample_comptonf(a, &how, &r1);
        bml_sample_comptonf(c, &how, &r2);
        how.rest = r;
        bml_sample_rng_init(&r2, 11, 4);
        bml_sample_comptonf(b, &how, &r2);
        same &= !memcmp(a, c, sizeof a) && !memcmp(a, b, sizeof a) && r1.counter[0] == r2.counter[0];
    }
    CHECK(one_by_one, "1000 calls for one photon are one call for 1000");
    CHECK(same, "the same seed gives the same energies, with and without the rest");
    CHECK_LE(apart, 3e-4, "float and double agree"); /* near eps_min both move by the float error of u_min, 1e-6/u */
}

/* ---- Compton: power-law spectra ---- */
typedef struct {
    double alpha, beta, gamma_max, eps_min, eps_max;
} spectrum;

static double power_law_chi2(double *slope_error, const spectrum *s, int n_gamma, int n_eps, bml_sample_rng *rng) {
    enum { BINS = 60, EACH = 100 };
    double edge[BINS + 1];
    double sum[BINS] = {0};
    double want[BINS] = {0};
    double variance[BINS] = {0};
    double chi2 = 0;
    static float ef[EACH];
    double low = log(s->eps_min);
    double high = log(s->gamma_max);
    for (int k = 0; k <= BINS; k++) {
        edge[k] = exp(low + (high - low) * k / BINS);
    }
    for (int i = 0; i < n_gamma; i++) {
        for (int j = 0; j < n_eps; j++) {
            double gamma = 20 * pow(s->gamma_max / 20, (i + 0.5) / n_gamma); /* where the kernel is drawn from */
            double eps0 = s->eps_min * pow(s->eps_max / s->eps_min, (j + 0.5) / n_eps);
            double c0 = 0;
            float g = (float)gamma;
            float e = (float)eps0;
            bml_sample_rates r = {0, 0, 0, 0};
            bml_sample_photonsf how = {.n = EACH, .gamma = &g, .eps0 = &e, .one_gamma = 1, .one_eps0 = 1};
            if (!bml_sample__in_domain((double)g, (double)e) || bml_sample_comptonf(ef, &how, rng)) {
                continue;
            }
            bml_sample__pair_of pair;
            bml_sample__prepare_pair(&pair, (double)g, (double)e);
            bml_sample_compton_rates(&r, pair.b);
            double weight = pow(gamma, 1 - s->alpha) * pow(eps0, 1 - s->beta) * r.rate;
            for (int k = 0; k < EACH; k++) {
                double at = (log((double)ef[k]) - low) / (high - low) * BINS;
                if (at >= 0 && at < BINS) sum[(int)at] += weight;
            }
            for (int k = 0; k < BINS; k++) { /* direct integration: the probability of every bin */
                double E = edge[k + 1] / (double)g;
                double c1 = E < 1 ? conditional_cdf(-log1p(-E), &pair) : 1;
                double p = c1 - c0;
                want[k] += EACH * weight * p;
                variance[k] += EACH * weight * weight * p * (1 - p);
                c0 = c1;
            }
        }
    }
    *slope_error = 0;
    for (int k = 0; k < BINS; k++) {
        double noise = sqrt(variance[k]);
        double d = log(edge[1] / edge[0]);
        if (!(noise < 0.1 * want[k])) continue;
        chi2 = fmax(chi2, fabs(sum[k] - want[k]) / noise);
        if (k && variance[k - 1] > 0 &&
            sqrt(variance[k - 1]) < 0.1 * want[k - 1]) { /* slopes between neighbours, over their noise */
            double got = log(sum[k] / sum[k - 1]) / d;
            double right = log(want[k] / want[k - 1]) / d;
            double sd = hypot(noise / want[k], sqrt(variance[k - 1]) / want[k - 1]) / d;
            *slope_error = fmax(*slope_error, fabs(got - right) / sd);
        }
    }
    return chi2;
}

static void test_power_spectra(bml_sample_rng *rng) {
    static const spectrum s[3] = {
        {3.2, 1.5, 1e9, 1e-6, 1e-3}, {4.0, 1.5, 1e9, 1e-6, 1e-3}, {1.5, 1.5, 1e7, 1e-9, 1e-3}};
    for (int k = 0; k < 3; k++) {
        double slope;
        double worst = power_law_chi2(&slope, &s[k], quick ? 20 : 180, quick ? 10 : 60, rng);
        char text[100];
        /* 60 bins: the largest of 60 normals exceeds 5.5 with probability 2e-6; weights are many in each bin used */
        snprintf(text, sizeof text, "power laws alpha %.1f, beta %.1f: worst bin, in its noise", s[k].alpha, s[k].beta);
        CHECK_LE(worst, 5.5, text);
        CHECK_LE(slope, 5.5, "  worst local slope, in its noise");
    }
}

/* ---- exact collisions ---- */
static void isotropic(double *d, bml_sample_rng *rng) {
    double c = 2 * bml_sample_rng_uniform(rng) - 1;
    double phi = 6.283185307179586 * bml_sample_rng_uniform(rng);
    double s = sqrt(1 - c * c);
    d[0] = s * cos(phi);
    d[1] = s * sin(phi);
    d[2] = c;
}

/* One scattering out of isotropic photons: the photon's direction with probability ~ (1 - beta mu) sigma(x). */
static double collide(double *out, const double *axis, double gamma, double eps0, bml_sample_rng *rng) {
    double photon[3];
    double eps = 0;
    double beta = sqrt(1 - 1 / (gamma * gamma));
    double far;
    bml_sample_collision c = {gamma, axis, eps0, photon};
    do { /* (1 - beta mu) sigma rises with 1 - mu: x sigma(x) does with x */
        isotropic(photon, rng);
        far = 1 - beta * (photon[0] * axis[0] + photon[1] * axis[1] + photon[2] * axis[2]);
    } while (2 * bml_sample_rng_uniform(rng) > far * bml_sample_klein_nishina(gamma * eps0 * far));
    if (bml_sample_scatter(&eps, out, &c, rng)) return (double)NAN;
    return eps;
}

static long double differential(long double c, const void *p) {
    long double x = *(const long double *)p;
    long double r = 1 / (1 + x * (1 - c));
    return 0.375L * r * r * (r + 1 / r - (1 - c * c));
}

static void test_collisions(bml_sample_rng *rng) {
    double worst = 0;
    double conserved = 0;
    double norm = 0;
    double sigma = 0;
    for (double lx = -8; lx < 6; lx += 0.31) {
        long double x = powl(10, lx);
        long double want = 0;
        long double a = 2;
        for (int k = 0; k < 40; k++, a /= 2) {
            want += panels(differential, &x, 1 - a, k < 39 ? 1 - a / 2 : 1, 4); /* towards c = 1 */
        }
        sigma = fmax(sigma, fabs(bml_sample_klein_nishina((double)x) / (double)want - 1));
    }
    CHECK_LE(sigma, 1e-12, "Klein-Nishina cross section against quadrature");
    CHECK(bml_sample_klein_nishina(0) == 1 && bml_sample_klein_nishina(-1) != bml_sample_klein_nishina(-1),
          "at x = 0, and below");
    for (int i = 0; i < (quick ? 500 : 20000); i++) { /* p k = k' (p + k), products of four-vectors */
        double e[3];
        double k[3];
        double o[3] = {0, 0, 0};
        double eps = 0;
        double g = 1 + pow(10, -3 + 5 * bml_sample_rng_uniform(rng));
        double x = pow(10, -6 + 8 * bml_sample_rng_uniform(rng));
        isotropic(e, rng);
        isotropic(k, rng);
        bml_sample_collision c = {g, e, x, k};
        if (bml_sample_scatter(&eps, o, &c, rng)) eps = (double)NAN;
        double b = sqrt((g - 1) * (g + 1));
        double pk = x * (g - b * (e[0] * k[0] + e[1] * k[1] + e[2] * k[2]));
        double po = eps * (g - b * (e[0] * o[0] + e[1] * o[1] + e[2] * o[2]));
        double ko = x * eps * (1 - (k[0] * o[0] + k[1] * o[1] + k[2] * o[2]));
        conserved = fmax(conserved, fabs(pk - po - ko) / (pk + eps * g * 1e-4)); /* po cancels to eps/g^2 */
        norm = fmax(norm, fabs(o[0] * o[0] + o[1] * o[1] + o[2] * o[2] - 1));
        if (!(eps > 0)) conserved = 1e9;
    }
    CHECK_LE(conserved, 1e-9, "collisions conserve energy and momentum");
    CHECK_LE(norm, 1e-12, "directions are unit vectors");
    (void)worst;
}

/* The angle of a Klein-Nishina scattering at rest. */
typedef struct {
    long double x;
} at_rest;
static double angle_cdf(double c, const void *p) {
    long double x = ((const at_rest *)p)->x;
    return (double)(panels(differential, &x, -1, c, 8) / panels(differential, &x, -1, 1, 16));
}

static void test_rest_frame(bml_sample_rng *rng) {
    static const double energy[3] = {0.01, 1, 30};
    int n = quick ? 1000 : 20000;
    for (int m = 0; m < 3; m++) {
        double along[3] = {0, 0, 1};
        double o[3] = {0, 0, 0};
        double eps = 0;
        double shift = 0;
        at_rest p = {energy[m]};
        bml_sample_collision c = {1, NULL, energy[m], along};
        char text[80];
        for (int i = 0; i < n; i++) {
            bml_sample_scatter(&eps, o, &c, rng);
            draws[i] = fmin(fmax(o[2], -1), 1);
            shift = fmax(shift, fabs(eps * (1 + energy[m] * (1 - o[2])) / energy[m] - 1));
        }
        snprintf(text, sizeof text, "angle of scattering at rest, x = %g, D sqrt(N)", energy[m]);
        CHECK_LE(ks(draws, n, angle_cdf, &p), KS, text);
        CHECK_LE(shift, 1e-12, "  with Compton's shift of the energy"); /* 1 - cos keeps 1e-16 of 1, times x */
    }
}

/* Jones' kernel against exact collisions: where gamma is large they must agree; below, the errors stated in the
   header. */
static void test_kernel_error(bml_sample_rng *rng) {
    static const double gamma[6] = {1.5, 2, 3, 5, 10, 300};
    static const double stated[6] = {0.1763, 0.0861, 0.0357, 0.0128, 0.0033, 0};
    double axis[3] = {0.6, 0, 0.8};
    double out[3];
    int n = quick ? 4000 : lengthy ? LARGE : 100000;
    for (int k = 0; k < 6; k++) {
        bml_sample__pair_of pair;
        double eps0 = 1e-3;
        int kept = 0;
        char text[90];
        bml_sample__prepare_pair(&pair, gamma[k], eps0);
        while (kept < n) { /* the kernel says nothing of photons that lose energy */
            double eps = collide(out, axis, gamma[k], eps0, rng);
            if (eps > eps0) {
                draws[kept++] = -log1p(-fmin(eps / gamma[k], 1 - 1e-15));
            }
        }
        double d = ks(draws, n, conditional_cdf, &pair) / sqrt(n);
        snprintf(text, sizeof text, "kernel against two-body kinematics, gamma = %g: CDF distance %.4f", gamma[k], d);
        CHECK(fabs(d - stated[k]) <= 5e-4 + KS / sqrt(n), "%s, stated %.4f", text, stated[k]);
    }
}

static int ascending(const void *a, const void *b) {
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static double two_sample(double *a, double *b, int n) {
    double d = 0;
    int i = 0;
    int k = 0;
    qsort(a, (size_t)n, sizeof *a, ascending);
    qsort(b, (size_t)n, sizeof *b, ascending);
    while (i < n && k < n) {
        if (a[i] <= b[k]) {
            i++;
        } else {
            k++;
        }
        d = fmax(d, fabs((double)(i - k)) / n);
    }
    return d * sqrt(0.5 * n);
}

static double gap(const double *a, const double *b) {
    return (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) + (a[2] - b[2]) * (a[2] - b[2]);
}

/* gamma^2 (1 - cos) of the outgoing photon from the kernel's directions and from exact collisions, both regimes. */
static void test_direction(bml_sample_rng *rng) {
    static double other[LARGE];
    double axis[3] = {0, 0.6, -0.8};
    double out[3] = {0, 0, 0};
    int n = quick ? 2000 : lengthy ? 50000 : 15000;
    for (int k = 0; k < 2; k++) {
        double gamma = 300;
        double eps0 = k ? 0.1 : 1e-5;
        double length = 0;
        static double eps[LARGE];
        bml_sample_photons how = {.n = (size_t)n, .gamma = &gamma, .eps0 = &eps0, .one_gamma = 1, .one_eps0 = 1};
        bml_sample_compton(eps, &how, rng);
        for (int i = 0; i < n; i++) {
            bml_sample_event event = {gamma, eps0, eps[i]};
            if (bml_sample_compton_direction(out, axis, &event, rng)) {
                out[0] = (double)NAN;
            }
            draws[i] = gap(out, axis);
            length = fmax(length, fabs(out[0] * out[0] + out[1] * out[1] + out[2] * out[2] - 1));
            collide(out, axis, gamma, eps0, rng);
            other[i] = gap(out, axis);
        }
        /* the kernel's own error at gamma = 300, of order 1/gamma^2, is far below the noise */
        CHECK_LE(two_sample(draws, other, n), KS,
                 k ? "directions, Klein-Nishina regime, D sqrt(N/2)" : "directions, Thomson regime, D sqrt(N/2)");
        CHECK_LE(length, 1e-12, "  unit vectors");
    }
}

/* ---- sources ---- */
static long double juettner(long double y, const void *p) { /* over gamma = 1 + e^y */
    long double theta = *(const double *)p;
    long double x = expl(y);
    long double g = 1 + x;
    return g * sqrtl(x * (x + 2)) * expl(-x / theta) * x;
}
static double juettner_cdf(double g, const void *p) {
    double theta = *(const double *)p;
    long double low = logl(theta) - 30;
    long double high = logl(60 * theta);
    long double at = g > 1 ? logl(g - 1) : low;
    static long double whole;
    static double of;
    if (of != theta) {
        whole = panels(juettner, p, low, high, 60);
        of = theta;
    }
    return at <= low ? 0 : fmin((double)(panels(juettner, p, low, at, 30) / whole), 1);
}

static long double planck(long double y, const void *p) { /* over x = e^y */
    long double x = expl(y);
    return powl(x, *(const int *)p) / expm1l(x) * x;
}
static double planck_cdf(double x, const void *p) {
    static long double whole;
    static int of;
    if (of != *(const int *)p) {
        whole = panels(planck, p, -30, logl(100), 60);
        of = *(const int *)p;
    }
    return fmin((double)(panels(planck, p, -30, logl(x), 30) / whole), 1);
}

static void test_sources(bml_sample_rng *rng) {
    static const double theta[4] = {1e-4, 0.1, 2, 1e3};
    int n = quick ? 1000 : lengthy ? 20000 : 5000;
    char text[80];
    for (int k = 0; k < 4; k++) {
        bml_sample_thermal_electrons(draws, (size_t)n, theta[k], rng);
        snprintf(text, sizeof text, "thermal electrons, theta = %g, D sqrt(N)", theta[k]);
        CHECK_LE(ks(draws, n, juettner_cdf, &theta[k]), KS, text);
    }
    for (int s = 2; s <= 3; s++) {
        bml_sample_black_body(draws, (size_t)n, s - 2, rng);
        CHECK_LE(ks(draws, n, planck_cdf, &s), KS,
                 s == 2 ? "black body by photons, D sqrt(N)" : "black body by energy, D sqrt(N)");
    }
}

/* int_x^inf K_5/3 by quadrature of its integral representation (Abramowitz & Stegun 9.6.24), then F/x or F above x
   once more. */
typedef struct {
    long double x;
    int energy;
} above_x;
static long double bessel(long double t, const void *p) {
    const above_x *a = p;
    long double c = coshl(t);
    long double g = coshl(5 * t / 3) * expl(-a->x * (c - 1));
    return a->energy ? g * (a->x / c + 1 / (c * c)) / c : g / (c * c);
}

static void test_synchrotron(bml_sample_rng *rng) {
    static const double number = 5 * 3.14159265358979323846 / 3;      /* int F/x dx */
    const double energy = 8 * 3.14159265358979323846 / (9 * sqrt(3)); /* int F dx: Westfold 1959 */
    bml_sample_synchrotron s;
    double worst[2] = {0, 0};
    double u[200];
    double x[200];
    for (int e = 0; e < 2; e++) {
        int falls = 0;
        bml_sample_synchrotron_init(&s, e ? BML_SAMPLE_ENERGY : BML_SAMPLE_PHOTONS);
        for (int i = 0; i < 200; i++) {
            u[i] = i < 20 ? pow(10, -1 - 0.4 * i) : i > 180 ? 1 - pow(10, -0.5 * (i - 180)) : (i - 20 + 0.5) / 161;
        }
        bml_sample_synchrotron_draw(x, u, 200, &s, NULL);
        for (int i = 0; i < 200; i++) {
            above_x a = {x[i], e};
            long double end = logl(2 * (1 + 60 / a.x));
            long double got = panels(bessel, &a, 0, end, 80) * expl(-a.x) / (e ? energy : number);
            worst[e] = fmax(worst[e], fabs((double)(1 - got) - u[i]));
            falls += i > 20 && i != 181 && !(x[i] >= x[i - 1]);
        }
        CHECK(!falls, "synchrotron energies rise with u");
    }
    CHECK_LE(worst[0], 1e-7, "synchrotron photons, CDF by quadrature");
    CHECK_LE(worst[1], 1e-7, "synchrotron energy, CDF by quadrature");
    bml_sample_synchrotron_init(&s, BML_SAMPLE_PHOTONS);
    bml_sample_synchrotron_draw(draws, NULL, 100000, &s, rng);
    double mean = 0;
    double square = 0;
    for (int i = 0; i < 100000; i++) {
        mean += draws[i] / 1e5;
        square += draws[i] * draws[i] / 1e5;
    }
    /* mean photon energy 8/(15 sqrt 3) nu_c (Rybicki & Lightman problem 6.1's ratio of the integrals above) */
    CHECK_NEAR(mean, energy / number, 5 * sqrt((square - mean * mean) / 1e5),
               "mean synchrotron photon energy over nu_c");
    CHECK(bml_sample_synchrotron_init(&s, 7) == BML_SAMPLE_BAD_ARGUMENT, "synchrotron: no such weight");
}

/* The mass of x^-p on [a,b], x^-q beyond c, by the textbook formula in long double. */
static long double power_mass(long double a, long double b, long double p) {
    return fabsl(1 - p) < 1e-15L ? logl(b / a) : (powl(b, 1 - p) - powl(a, 1 - p)) / (1 - p);
}

static void test_power(void) {
    static const bml_sample_power p[8] = {{1, 1e7, 2.5, 0, 0}, {1e-9, 1e-3, 1, 0, 0}, {1, 1e5, 1 + 1e-7, 0, 0},
                                          {0.5, 3, -4, 0, 0},  {1, 1e4, 2, 100, 3.5}, {1e-3, 1e3, 1, 1, 0.5},
                                          {2, 1e6, 2, 50, 1},  {1, 10, 1, 2, 1}};
    double worst = 0;
    double u[101];
    double x[101];
    for (int k = 0; k < 8; k++) {
        long double c = p[k].break_at > 0 ? p[k].break_at : p[k].upper;
        long double below = power_mass(p[k].lower, c, p[k].index);
        long double above = 0;
        if (p[k].break_at > 0) {
            above = powl(c, p[k].index_above - p[k].index) * power_mass(c, p[k].upper, p[k].index_above);
        }
        for (int i = 0; i <= 100; i++) {
            u[i] = i / 100.0;
        }
        bml_sample_power_law(x, u, 101, &p[k], NULL);
        for (int i = 0; i <= 100; i++) {
            long double got =
                x[i] <= c ? power_mass(p[k].lower, x[i], p[k].index)
                          : below + powl(c, p[k].index_above - p[k].index) * power_mass(c, x[i], p[k].index_above);
            worst = fmax(worst, fabs((double)(got / (below + above)) - u[i]));
        }
        if (!(x[0] >= p[k].lower && x[0] <= p[k].lower * (1 + 1e-12) && x[100] <= p[k].upper &&
              x[100] >= p[k].upper * (1 - 1e-12))) {
            worst = 1e9;
        }
    }
    CHECK_LE(worst, 2e-10,
             "power laws: CDF of the inverse"); /* index 1 + 1e-7 in the textbook formula keeps 1e-19/1e-7 */
    bml_sample_power steep = {1, 1e300, 500, 0, 0};
    bml_sample_power rising = {1e-300, 1, -900, 0, 0};
    bml_sample_power bad = {1, 1, 2, 0, 0};
    u[0] = 0.5;
    CHECK(!bml_sample_power_law(x, u, 1, &steep, NULL) && fabs(log(x[0]) * 499 - log(2)) < 1e-9,
          "index 500 over 300 decades");
    CHECK(!bml_sample_power_law(x, u, 1, &rising, NULL) && fabs(log(x[0]) * 901 + log(2)) < 1e-9,
          "index -900 over 300 decades");
    CHECK(bml_sample_power_law(x, u, 1, &bad, NULL) == BML_SAMPLE_BAD_ARGUMENT, "power law: upper = lower");
    u[0] = -0.1;
    CHECK(bml_sample_power_law(x, u, 1, &steep, NULL) == BML_SAMPLE_BAD_ARGUMENT, "power law: u < 0");
}

/* ---- tables ---- */
enum { EXPONENTIAL, SINE, STEPS, ROOT, NORMAL, NEGATIVE, NOT_A_NUMBER, ZERO, ONE_OVER_X, SPIKE };
static void density(double *p, const double *x, const double *z, int n, void *user) {
    (void)z;
    for (int i = 0; i < n; i++) {
        switch (*(const int *)user) {
        case EXPONENTIAL: p[i] = exp(-x[i]); break;
        case SINE: p[i] = sin(3.14159265358979323846 * x[i]); break;
        case STEPS: p[i] = x[i] < 0.3 ? 2 : x[i] < 0.7 ? 0 : 5; break;
        case ROOT: p[i] = 1 / sqrt(x[i]); break;
        case NORMAL: p[i] = exp(-0.5 * x[i] * x[i]); break;
        case NEGATIVE: p[i] = x[i] > 0.501 && x[i] < 0.502 ? -1e-9 : 1; break;
        case NOT_A_NUMBER: p[i] = x[i] > 0.9 ? (double)NAN : 1; break;
        case ZERO: p[i] = 0; break;
        case ONE_OVER_X: p[i] = 1 / x[i]; break;
        default: p[i] = 1 + 1e6 * exp(-0.5 * pow((x[i] - 0.123) / 1e-3, 2));
        }
    }
}

static double closed(double x, int kind, double lower, double upper) {
    if (kind == EXPONENTIAL) return expm1(lower - x) / expm1(lower - upper);
    if (kind == SINE) return pow(sin(0.5 * 3.14159265358979323846 * x), 2);
    if (kind == STEPS) {
        return (x < 0.3 ? 2 * x : x < 0.7 ? 0.6 : 0.6 + 5 * (x - 0.7)) / 2.1;
    }
    if (kind == ROOT) return sqrt(x);
    if (kind == SPIKE) {
        return (x + 1e3 * 1.2533141373155003 * (erf((x - 0.123) / 1e-3 / sqrt(2)) + 1)) /
               (1 + 2e3 * 1.2533141373155003);
    }
    return (normal_cdf(x, NULL) - normal_cdf(lower, NULL)) / (normal_cdf(upper, NULL) - normal_cdf(lower, NULL));
}

static void test_tables(bml_sample_rng *rng) {
    static int kind[6] = {EXPONENTIAL, SINE, STEPS, ROOT, NORMAL, SPIKE};
    static const double lower[6] = {0, 0, 0, 0, -6, 0};
    static const double upper[6] = {20, 1, 1, 1, 8, 1};
    static const char *name[6] = {"exponential", "sine", "steps", "1/sqrt x", "normal", "a peak of 1e-3"};
    for (int k = 0; k < 6; k++) {
        double error = 0;
        double twice = 0;
        double u;
        double x = 0;
        double c = 0;
        double slope = 0;
        double p[2];
        double at[2];
        bml_sample_table *t = NULL;
        bml_sample_table_config config = {.density = density, .user = &kind[k], .lower = lower[k], .upper = upper[k]};
        int status = bml_sample_table_create(&t, &config, NULL);
        int falls = 0;
        double last = lower[k];
        for (int i = 0; i <= 100000 && !status; i++) {
            u = i / 100000.0;
            status = bml_sample_table_inverse(t, &x, &u, 1);
            bml_sample_table_cdf(t, &c, NULL, &x, 1);
            error = fmax(error, fabs(closed(x, kind[k], lower[k], upper[k]) - u));
            twice = fmax(twice, fabs(c - u));
            falls += !(x >= last);
            last = x;
        }
        CHECK(status == 0, "table of %s: %d intervals, status %d %s", name[k], bml_sample_table_intervals(t), status,
              bml_sample_table_message(t));
        /* the closed CDF itself keeps 1e-15 */
        CHECK_LE(error, bml_sample_table_error(t) + 1e-14, "  CDF error, below the error reported");
        CHECK_LE(bml_sample_table_error(t), 1e-7, "  error reported, default tolerance");
        CHECK_LE(twice, 1e-12, "  CDF and inverse are one");
        CHECK(!falls, "  rises");
        for (int i = 1; i < 20;
             i++) { /* the density as the slope of the CDF: central differences, h^2 p''/6 and 1e-16/h */
            double mid = lower[k] + (upper[k] - lower[k]) * (i + 0.137) / 20.3;
            double h = 1e-6 * (upper[k] - lower[k]);
            at[0] = mid - h;
            at[1] = mid + h;
            bml_sample_table_cdf(t, p, NULL, at, 2);
            bml_sample_table_cdf(t, NULL, &c, &mid, 1);
            slope = fmax(slope, fabs((p[1] - p[0]) / (2 * h) - c) * (upper[k] - lower[k]));
        }
        if (kind[k] != SPIKE) CHECK_LE(slope, 1e-6, "  density is the CDF's slope");
        bml_sample_table_free(t);
    }
    bml_sample_table *t = NULL;
    bml_sample_table_config fine = {.density = density, .user = &kind[4], .lower = -6, .upper = 8, .tolerance = 1e-11};
    int status = bml_sample_table_create(&t, &fine, NULL);
    CHECK(!status && bml_sample_table_error(t) <= 1e-11, "tolerance 1e-11: %d intervals",
          bml_sample_table_intervals(t));
    CHECK_NEAR(bml_sample_table_integral(t),
               sqrt(2 * 3.14159265358979323846) * (normal_cdf(8, NULL) - normal_cdf(-6, NULL)), 1e-10, "integral");
    bml_sample_table_draw(t, draws, 50000, rng);
    CHECK_LE(ks(draws, 50000, normal_cdf, NULL), KS, "draws from a table, D sqrt(N)");
    bml_sample_table_free(t);
    fine.max_intervals = 32;
    status = bml_sample_table_create(&t, &fine, NULL);
    CHECK(status == BML_SAMPLE_NOT_CONVERGED && bml_sample_table_intervals(t) <= 32 &&
              bml_sample_table_error(t) > 1e-11,
          "too few intervals: %s", bml_sample_table_message(t));
    bml_sample_table_free(t);
}

/* ---- pieces of a table: at most those of SciPy 1.17.1's NumericalInversePolynomial (UNU.RAN's PINV, order 5), which are
   counted there at u_resolution 1e-10 and 1e-12 ---- */
static double of_shape(int shape, double x) {
    switch (shape) {
    case 0: return exp(-0.5 * x * x);
    case 1: return 1 / (1 + x * x);
    case 2: return exp(-x);
    case 3: return pow(x, 4) * exp(-x);
    case 4: return x * pow(1 - x, 3);
    case 5: return pow(cosh(0.5 * x), -2);
    default: return pow(1 + x * x / 3, -2);
    }
}
static void shape_density(double *p, const double *x, const double *z, int n, void *user) {
    (void)z;
    for (int i = 0; i < n; i++)
        p[i] = of_shape(*(const int *)user, x[i]);
}

static void test_pieces(void) {
    static const struct {
        const char *name;
        double lower;
        double upper;
        int most[2];
    } shapes[] = {{"normal", -HUGE_VAL, HUGE_VAL, {124, 252}},
                  {"Cauchy", -HUGE_VAL, HUGE_VAL, {203, 393}},
                  {"exponential", 0, HUGE_VAL, {76, 156}},
                  {"gamma of 5", 0, HUGE_VAL, {124, 255}},
                  {"beta of 2 and 4", 0, 1, {134, 245}},
                  {"logistic", -HUGE_VAL, HUGE_VAL, {129, 267}},
                  {"Student's of 3", -HUGE_VAL, HUGE_VAL, {154, 308}}};
    for (int k = 0; k < 14; k++) {
        int shape = k / 2;
        double tolerance = k % 2 ? 1e-12 : 1e-10;
        bml_sample_table_config config = {.density = shape_density, .user = &shape, .tolerance = tolerance};
        config.lower = shapes[shape].lower;
        config.upper = shapes[shape].upper;
        bml_sample_table *t = NULL;
        int status = bml_sample_table_create(&t, &config, NULL);
        int most = shapes[shape].most[k % 2];
        CHECK(!status && bml_sample_table_error(t) <= tolerance && bml_sample_table_intervals(t) <= most,
              "%s to %g: %d pieces (at most %d), error %.2g", shapes[shape].name, tolerance,
              bml_sample_table_intervals(t), most, bml_sample_table_error(t));
        bml_sample_table_free(t);
    }
}

static void refuse_table(int kind, double lower, double upper, int want, const char *text) {
    bml_sample_table *t = NULL;
    bml_sample_table_config config = {.density = density, .user = &kind, .lower = lower, .upper = upper};
    double x = 7;
    double u = 0.5;
    char why[BML_SAMPLE_MESSAGE];
    int got = bml_sample_table_create(&t, &config, why);
    CHECK(got == want && !t && bml_sample_table_inverse(t, &x, &u, 1) == BML_SAMPLE_BAD_ARGUMENT && x == 7,
          "refused: %s (%s)", text, why);
    bml_sample_table_free(t);
}

static void test_refused_tables(void) {
    bml_sample_table *t = NULL;
    double u[3] = {0.5, 1.5, -0.5};
    double x[3] = {7, 7, 7};
    int kind = NORMAL;
    bml_sample_table_config config = {.density = density, .user = &kind, .lower = 0, .upper = 1};
    refuse_table(NEGATIVE, 0, 1, BML_SAMPLE_BAD_DENSITY, "a negative density");
    refuse_table(NOT_A_NUMBER, 0, 1, BML_SAMPLE_BAD_DENSITY, "a density of NaN");
    refuse_table(ZERO, 0, 1, BML_SAMPLE_ZERO_DENSITY, "a density of zero everywhere");
    refuse_table(ONE_OVER_X, 0, 1, BML_SAMPLE_NOT_INTEGRABLE, "1/x down to 0");
    refuse_table(ONE_OVER_X, -1, 1, BML_SAMPLE_BAD_DENSITY, "1/x through 0");
    refuse_table(NORMAL, 1, 1, BML_SAMPLE_BAD_ARGUMENT, "an empty range");
    refuse_table(ROOT, 0.5, (double)INFINITY, BML_SAMPLE_NOT_INTEGRABLE, "1/sqrt x to infinity");
    refuse_table(NORMAL, (double)NAN, 1, BML_SAMPLE_BAD_ARGUMENT, "a range of NaN");
    CHECK(bml_sample_table_create(NULL, &config, NULL) == BML_SAMPLE_BAD_ARGUMENT, "no place for the table");
    config.density = NULL;
    CHECK(bml_sample_table_create(&t, &config, NULL) == BML_SAMPLE_BAD_ARGUMENT, "no density");
    bml_sample_table_free(t);
    bml_sample_table_free(NULL);
    config.density = density;
    bml_sample_table_create(&t, &config, NULL);
    CHECK(bml_sample_table_inverse(t, x, u, 3) == BML_SAMPLE_BAD_ARGUMENT && x[0] == 7,
          "u outside [0,1]: nothing is drawn");
    u[1] = (double)NAN;
    CHECK(bml_sample_table_inverse(t, x, u, 2) == BML_SAMPLE_BAD_ARGUMENT && x[0] == 7, "u = NaN");
    CHECK(bml_sample_table_cdf(t, u, NULL, u + 1, 1) == BML_SAMPLE_BAD_ARGUMENT, "CDF at NaN");
    bml_sample_table_free(t);
}

static void test_samples(bml_sample_rng *rng) {
    bml_sample_table *t = NULL;
    double worst = 0;
    double same[3] = {2, 2, 2};
    double bad[3] = {1, (double)NAN, 2};
    double two[2] = {5, 3};
    double u[3] = {0, 0.5, 1};
    double x[3] = {0, 0, 0};
    int n = quick ? 5000 : 100000;
    for (int i = 0; i < n; i++) {
        draws[i] = bml_sample_rng_normal(rng);
    }
    CHECK(!bml_sample_table_from_samples(&t, draws, (size_t)n, 0, NULL), "table from samples");
    for (int i = 1; i < 1000; i++) {
        double at = i / 1000.0;
        double y = 0;
        bml_sample_table_inverse(t, &y, &at, 1);
        worst = fmax(worst, fabs(normal_cdf(y, NULL) - at));
    }
    CHECK_LE(worst, 2 * bml_sample_table_error(t),
             "  CDF error, against twice the 95 % bound (Dvoretzky-Kiefer-Wolfowitz: 1e-6)");
    bml_sample_table_free(t);
    CHECK(!bml_sample_table_from_samples(&t, two, 2, 0, NULL) && !bml_sample_table_inverse(t, x, u, 3) && x[0] == 3 &&
              x[1] == 4 && x[2] == 5,
          "two samples");
    bml_sample_table_free(t);
    CHECK(bml_sample_table_from_samples(&t, same, 3, 0, NULL) == BML_SAMPLE_BAD_ARGUMENT, "equal samples");
    bml_sample_table_free(t);
    CHECK(bml_sample_table_from_samples(&t, bad, 3, 0, NULL) == BML_SAMPLE_BAD_ARGUMENT, "a sample of NaN");
    bml_sample_table_free(t);
    CHECK(bml_sample_table_from_samples(&t, two, 1, 0, NULL) == BML_SAMPLE_BAD_ARGUMENT, "one sample");
    bml_sample_table_free(t);
    CHECK(bml_sample_table_from_samples(&t, two, (size_t)-1, 0, NULL) == BML_SAMPLE_BAD_ARGUMENT,
          "a size that overflows");
    bml_sample_table_free(t);
}

/* ---- grids ---- */
static void bent(double *p, const double *x, const double *z, int n,
                 void *user) { /* a tilted line and a cosine: closed CDF */
    (void)user;
    for (int i = 0; i < n; i++) {
        p[i] = 1 + z[0] * (x[i] - 0.5) + z[1] * cos(2 * 3.14159265358979323846 * x[i]);
    }
}
static double bent_cdf(double x, const double *z) {
    return x + z[0] * (x * x - x) / 2 + z[1] * sin(2 * 3.14159265358979323846 * x) / (2 * 3.14159265358979323846);
}

static void test_grids(bml_sample_rng *rng) {
    static const double low[2] = {-1, 0};
    static const double high[2] = {1, 0.4};
    int nodes_z[2] = {9, 9};
    int huge[2] = {0x7fffffff, 0x7fffffff};
    bml_sample_grid *g = NULL;
    bml_sample_grid_config c = {.density = bent,
                                .lower = 0,
                                .upper = 1,
                                .n_z = 2,
                                .z_lower = low,
                                .z_upper = high,
                                .z_nodes = nodes_z,
                                .u_nodes = 513};
    double worst = 0;
    double x = 0;
    double z[2] = {0, 0};
    double u = 0;
    CHECK(!bml_sample_grid_create(&g, &c, NULL), "grid over two parameters");
    double reported = bml_sample_grid_error(g);
    for (int i = 0; i < 20000; i++) {
        z[0] = 2 * bml_sample_rng_uniform(rng) - 1;
        z[1] = 0.4 * bml_sample_rng_uniform(rng);
        u = bml_sample_rng_uniform(rng);
        if (bml_sample_grid_draw(g, &x, z, &u, 1, NULL)) {
            x = (double)NAN;
        }
        worst = fmax(worst, fabs(bent_cdf(x, z) - u));
    }
    /* multilinear: the largest error sits near the middle of a cell, where it is measured; half as much again allows
       for "near" */
    CHECK_LE(worst, 1.5 * reported, "  CDF error, against the one reported at the cells' middles");
    CHECK_LE(reported, 3e-3, "  error reported, 9 x 9 nodes: second differences over 8, (1/4)^2/8 x 0.3");
    bml_sample_grid_free(g);
    nodes_z[0] = nodes_z[1] = 17;
    bml_sample_grid_create(&g, &c, NULL);
    CHECK_LE(bml_sample_grid_error(g), reported / 3, "  half the steps: a quarter of the error");
    for (int i = 0; i < 2; i++) {
        z[i] = high[i];
    }
    u = 1;
    CHECK(!bml_sample_grid_draw(g, &x, z, &u, 1, NULL) && x == 1, "  the last corner");
    z[0] = 1.1;
    x = 7;
    CHECK(bml_sample_grid_draw(g, &x, z, &u, 1, NULL) == BML_SAMPLE_BAD_ARGUMENT && x == 7, "  Z outside the grid");
    z[0] = 0;
    u = 2;
    CHECK(bml_sample_grid_draw(g, &x, z, &u, 1, NULL) == BML_SAMPLE_BAD_ARGUMENT && x == 7, "  u outside [0,1]");
    bml_sample_grid_free(g);
    c.z_nodes = huge;
    c.u_nodes = 1 << 20;
    CHECK(bml_sample_grid_create(&g, &c, NULL) == BML_SAMPLE_TOO_LARGE, "grid: nodes whose product overflows");
    bml_sample_grid_free(g);
    c.z_nodes = nodes_z;
    c.u_nodes = 65;
    c.z_upper = low;
    CHECK(bml_sample_grid_create(&g, &c, NULL) == BML_SAMPLE_BAD_ARGUMENT, "grid: an empty range of a parameter");
    bml_sample_grid_free(g);
    static const double steep[2] = {1, 3};
    c.z_upper = steep;
    char why[BML_SAMPLE_MESSAGE];
    int status = bml_sample_grid_create(&g, &c, why);
    CHECK(status == BML_SAMPLE_BAD_DENSITY && !g, "grid: negative at one node: %s", why);
    bml_sample_grid_free(g);
}

/* ---- alias, rejection, ratio of uniforms ---- */
static void test_alias(bml_sample_rng *rng) {
    double weight[1000];
    double sum = 0;
    double chi2 = 0;
    double bad[2] = {1, -1};
    double none[2] = {0, 0};
    double nan_[2] = {1, (double)NAN};
    double vast[3] = {1e308, 1e308, 1e308};
    static double count[1000];
    static uint32_t index[LARGE];
    bml_sample_alias *a = NULL;
    int n = quick ? 50000 : LARGE;
    int used = 0;
    for (int i = 0; i < 1000; i++) {
        sum += weight[i] = i % 7 == 0 ? 0 : pow(bml_sample_rng_uniform(rng), 2) + 0.05;
    }
    CHECK(!bml_sample_alias_create(&a, weight, 1000, NULL) && !bml_sample_alias_draw(a, index, (size_t)n, rng),
          "alias table of 1000 weights");
    for (int i = 0; i < n; i++) {
        count[index[i] < 1000 ? index[i] : 0]++;
    }
    for (int i = 0; i < 1000; i++) {
        double want = n * weight[i] / sum;
        if (weight[i] > 0) {
            chi2 += (count[i] - want) * (count[i] - want) / want;
            used++;
        } else {
            chi2 += 1e9 * count[i];
        }
    }
    /* chi2 of k degrees is (Wilson-Hilferty) normal in its cube root: 5 sd */
    double k = used - 1;
    double wilson = (cbrt(chi2 / k) - (1 - 2 / (9 * k))) / sqrt(2 / (9 * k));
    CHECK_LE(fabs(wilson), 5, "  chi^2 of the frequencies, in standard deviations");
    bml_sample_alias_free(a);
    CHECK(!bml_sample_alias_create(&a, weight + 1, 1, NULL) && !bml_sample_alias_draw(a, index, 100, rng) &&
              index[99] == 0,
          "alias of one weight");
    bml_sample_alias_free(a);
    CHECK(!bml_sample_alias_create(&a, vast, 3, NULL) && !bml_sample_alias_draw(a, index, 30000, rng),
          "alias of weights whose sum overflows");
    for (int i = 0, k2 = 0; i < 30000; i++) {
        k2 += index[i] == 2;
        if (i == 29999) CHECK(fabs(k2 - 1e4) < 500, "  drawn evenly"); /* sd 82 */
    }
    bml_sample_alias_free(a);
    CHECK(bml_sample_alias_create(&a, bad, 2, NULL) == BML_SAMPLE_BAD_DENSITY && !a, "alias: a negative weight");
    CHECK(bml_sample_alias_create(&a, nan_, 2, NULL) == BML_SAMPLE_BAD_DENSITY && !a, "alias: a weight of NaN");
    CHECK(bml_sample_alias_create(&a, none, 2, NULL) == BML_SAMPLE_ZERO_DENSITY && !a, "alias: all weights zero");
    CHECK(bml_sample_alias_create(&a, none, 0, NULL) == BML_SAMPLE_BAD_ARGUMENT && !a, "alias: no weights");
    CHECK(bml_sample_alias_create(&a, none, (size_t)-1, NULL) == BML_SAMPLE_TOO_LARGE && !a, "alias: too many weights");
    CHECK(bml_sample_alias_draw(NULL, index, 1, rng) == BML_SAMPLE_BAD_ARGUMENT, "alias: no table");
}

static void test_references(bml_sample_rng *rng) {
    int kind = NORMAL;
    int zero = ZERO;
    int n = quick ? 2000 : 50000;
    bml_sample_rejection r = {density, &kind, NULL, -9, 9, 1};
    bml_sample_ratio q = {density,           &kind,           NULL, 1,
                          -sqrt(2 / exp(1)), sqrt(2 / exp(1))}; /* x sqrt p has its extremes at x = +-sqrt 2 */
    CHECK(!bml_sample_reject(draws, (size_t)n, &r, rng), "rejection");
    CHECK_LE(ks(draws, n, normal_cdf, NULL), KS, "  normal, D sqrt(N)");
    CHECK(!bml_sample_ratio_of_uniforms(draws, (size_t)n, &q, rng), "ratio of uniforms");
    CHECK_LE(ks(draws, n, normal_cdf, NULL), KS, "  normal, D sqrt(N)");
    r.bound = 0.9;
    q.s_max = 0.9;
    CHECK(bml_sample_reject(draws, 1000, &r, rng) == BML_SAMPLE_BAD_ENVELOPE, "rejection: a bound that is too low");
    CHECK(bml_sample_ratio_of_uniforms(draws, 1000, &q, rng) == BML_SAMPLE_BAD_ENVELOPE,
          "ratio: a bound that is too low");
    q.s_max = 1;
    q.v_max = 0.5;
    CHECK(bml_sample_ratio_of_uniforms(draws, 1000, &q, rng) == BML_SAMPLE_BAD_ENVELOPE,
          "ratio: v_max that is too low");
    r.bound = 1;
    r.user = &zero;
    CHECK(bml_sample_reject(draws, 1, &r, rng) == BML_SAMPLE_NOT_CONVERGED, "rejection: a density of zero ends");
    kind = NOT_A_NUMBER;
    r.user = &kind;
    CHECK(bml_sample_reject(draws, 100, &r, rng) == BML_SAMPLE_BAD_DENSITY, "rejection: NaN");
    r.bound = -1;
    CHECK(bml_sample_reject(draws, 1, &r, rng) == BML_SAMPLE_BAD_ARGUMENT, "rejection: a negative bound");
}

/* ---- accuracy tools ---- */
static void off_by(double *y, const double *x, int n,
                   void *user) { /* x = u + a sin(2 pi u)/(2 pi): density 1/(1 + a cos) of u */
    double a = *(const double *)user;
    for (int i = 0; i < n; i++) {
        y[i] = x[i] + a * sin(2 * 3.14159265358979323846 * x[i]) / (2 * 3.14159265358979323846);
    }
}
static void as_is(double *y, const double *x, int n, void *user) {
    (void)user;
    memcpy(y, x, (size_t)n * sizeof *y);
}
static void backwards(double *y, const double *x, int n, void *user) {
    (void)user;
    for (int i = 0; i < n; i++) {
        y[i] = 1 - x[i];
    }
}

static long double js_density(long double u,
                              const void *p) { /* over u: the true density is 1 in x, the implied one du/dx */
    double a = *(const double *)p;
    long double slope = 1 + a * cosl(2 * 3.14159265358979323846L * u);
    long double q = 1 / slope;
    long double m = (1 + q) / 2;
    return slope * 0.5L * (q * logl(q / m) - logl(m));
}

static void test_quality(bml_sample_rng *rng) {
    static double counts[200];
    static double prob[200];
    double a = 0.05;
    bml_sample_check check = {off_by, as_is, &a, 0, 0};
    bml_sample_quality q = {0, 0, 0, 0};
    bml_sample_divergence d = {0, 0, 0};
    CHECK(!bml_sample_check_inverse(&q, &check), "a sampler that is wrong by a known amount");
    CHECK_NEAR(q.max_error, a / (2 * 3.14159265358979323846), 1e-9, "  largest error");
    CHECK_NEAR(q.mean_error, a / (2 * 3.14159265358979323846) * 2 / 3.14159265358979323846, 1e-8, "  mean error");
    /* bins of 1/200 average over (2 pi/200)^2/24 = 4e-5 of the curvature */
    CHECK_NEAR(q.js / (double)panels(js_density, &a, 0, 1, 20), 1, 2e-4,
               "  Jensen-Shannon divergence over its integral");
    check.inverse = as_is;
    bml_sample_check_inverse(&q, &check);
    CHECK(q.max_error < 1e-15 && q.js < 1e-20 && !q.falls, "a sampler that is right: %g %g", q.max_error, q.js);
    check.inverse = backwards;
    bml_sample_check_inverse(&q, &check);
    CHECK(q.falls == 99999 && q.js < 1e-20, "one that runs backwards falls 99999 times; its density is right");
    check.n = -1;
    CHECK(bml_sample_check_inverse(&q, &check) == BML_SAMPLE_BAD_ARGUMENT, "check: a negative n");
    for (int t = 0; t < 10; t++) {
        for (int i = 0; i < 10000; i++) {
            counts[(int)(200 * bml_sample_rng_uniform(rng))]++;
        }
    }
    for (int i = 0; i < 200; i++) {
        prob[i] = 1 / 200.0;
    }
    bml_sample_histogram(&d, counts, prob, 200);
    CHECK_LE(fabs(d.js - d.noise) / d.noise_sd, 6,
             "histogram of 1e5 uniforms: divergence from its noise, in its sd"); /* chi2 of 199: skew 0.2 */
    counts[3] = -1;
    CHECK(bml_sample_histogram(&d, counts, prob, 200) == BML_SAMPLE_BAD_ARGUMENT, "histogram: a negative count");
    double pole[2] = {1, 0};
    double other[2] = {0, 1};
    CHECK(!bml_sample_histogram(&d, pole, other, 2) && fabs(d.js - log(2)) < 1e-15, "disjoint distributions: ln 2");
}

/* ---- networks ---- */
static void test_net_arrays(bml_sample_rng *rng) {
    /* one output, one parameter, one hidden layer of two: x = 10 [v + v(1-v)(0.25 + 0.5 tanh(v') - 0.125 tanh(z'))] */
    static const float array[] = {
        20260,   1,    1, 1, 1, 2, 0, 10, -1, 1, /* hidden kernel, bias */ 1, 0, 0, 1, 0, 0, /* output */ 0.5f,
        -0.125f, 0.25f};
    enum { COUNT = sizeof array / sizeof *array };
    static char text[4000];
    static char again[300];
    static unsigned char bytes[4000];
    float x[3] = {0, 0, 0};
    float u[3] = {0, 0.5f, 1};
    float z = 0.5f;
    float broken[COUNT];
    float read[COUNT];
    bml_sample_net *net = NULL;
    bml_sample_net_call call = {3, u, &z, 1};
    size_t n_read = 0;
    size_t count = 0;
    int n_z = 0;
    int refused = 0;
    int made = 0;
    CHECK(!bml_sample_net_create(&net, array, COUNT, NULL) && bml_sample_net_dims(net, &n_z) == 1 && n_z == 1,
          "a net from an array");
    CHECK(!bml_sample_net_draw(net, x, &call, NULL) && x[0] == 0 && x[2] == 10, "  ends of the range to the bit");
    CHECK_NEAR((double)x[1], 10 * (0.5 + 0.25 * (0.25 - 0.125 * tanh(0.5))), 1e-5, "  in the middle");
    size_t length = bml_sample_net_write(text, sizeof text, net, "my_net");
    CHECK(length == strlen(text) && !strncmp(text, "static const float my_net[19] = {\n", 34) &&
              !strcmp(text + length - 4, "f};\n"),
          "C text");
    for (char *s = strchr(text, '{') + 1; n_read < COUNT; n_read++) {
        read[n_read] = strtof(s, &s);
        s += 1 + (s[1] == ',');
    }
    CHECK(!memcmp(read, array, sizeof read), "  gives back the same floats");
    CHECK(bml_sample_net_write(again, sizeof again, net, "my_net") == length && strlen(again) == sizeof again - 1,
          "  cut off where there is no room");
    CHECK(bml_sample_net_write(NULL, 0, net, "my_net") == length, "  counted without room");
    length = bml_sample_net_safetensors(bytes, sizeof bytes, net);
    uint64_t header = 0;
    for (int i = 0; i < 8; i++) {
        header |= (uint64_t)bytes[i] << 8 * i;
    }
    CHECK(
        length == 8 + header + 4 * 9 && header % 8 == 0 && bytes[8] == '{' &&
            strstr((char *)bytes + 8, "\"x1.0.weight\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}") &&
            strstr((char *)bytes + 8, "\"x1.1.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[32,36]}") &&
            !memcmp(bytes + length - 4, "\0\0\x80\x3e", 4),
        "safetensors: header, offsets, data in little-endian order");
    z = 1.5f;
    x[1] = 7;
    CHECK(bml_sample_net_draw(net, x, &call, NULL) == BML_SAMPLE_BAD_ARGUMENT && x[1] == 7,
          "net: a parameter out of range");
    z = 0;
    u[1] = NAN;
    CHECK(bml_sample_net_draw(net, x, &call, NULL) == BML_SAMPLE_BAD_ARGUMENT && x[1] == 7, "net: u = NaN");
    call.u = NULL;
    call.n = (size_t)-1 / 2;
    CHECK(bml_sample_net_draw(net, x, &call, rng) == BML_SAMPLE_TOO_LARGE, "net: a size that overflows");
    bml_sample_net_free(net);
    bml_sample_net_free(NULL);
    for (count = 0; count < COUNT; count++) {
        refused += bml_sample_net_create(&net, array, count, NULL) == BML_SAMPLE_BAD_ARRAY;
    }
    CHECK(refused == COUNT, "arrays cut short are refused");
    for (int i = 0; i < 20000; i++) { /* damaged ones are refused, or make a net that draws inside its range */
        static const float odd[8] = {0, -1, 1e30f, 2, 128, 0.5f, 6, 8};
        memcpy(broken, array, sizeof broken);
        for (int k = 0; k < 2; k++) {
            int at = (int)(COUNT * bml_sample_rng_uniform(rng));
            int which = (int)(10 * bml_sample_rng_uniform(rng));
            broken[at] = which == 8 ? NAN : which == 9 ? INFINITY : odd[which % 8];
        }
        if (bml_sample_net_create(&net, broken, COUNT, NULL)) continue;
        const float *a = bml_sample_net_array(net, &count);
        z = a[8] <= 0 && a[9] >= 0 ? 0 : a[8];
        bml_sample_net_call some = {3, NULL, &z, 1};
        made += bml_sample_net_dims(net, NULL) == 1 && !bml_sample_net_draw(net, x, &some, rng) && x[0] >= a[6] &&
                x[0] <= a[7] * (1 + 1e-6f);
        refused += 1;
        bml_sample_net_free(net);
    }
    CHECK(made == refused - COUNT && made > 100, "damaged arrays: %d still made a net, and it drew in range", made);
}

#ifdef BML_SAMPLE_TRAIN
/* The paper's density F_theta(x) = [J1(10 x cos theta) cos(theta x) + 0.6] sin(pi x); J1 by its integral (A&S 9.1.21).
   */
static double bessel_j1(double x) {
    double sum = 0;
    for (int k = 0; k < 40; k++) { /* the trapezoidal rule of a periodic integrand: exact to rounding for |x| <= 10 */
        double t = 3.14159265358979323846 * (k + 0.5) / 40;
        sum += cos(t - x * sin(t));
    }
    return sum / 40;
}
static void paper_density(double *p, const double *x, const double *z, int n, void *user) {
    (void)user;
    for (int i = 0; i < n; i++) {
        p[i] = (bessel_j1(10 * x[i] * cos(z[0])) * cos(z[0] * x[i]) + 0.6) * sin(3.14159265358979323846 * x[i]);
    }
}
static void gauss_density(double *p, const double *x, const double *z, int n, void *user) {
    (void)z;
    (void)user;
    for (int i = 0; i < n; i++) {
        p[i] = exp(-8 * (pow(x[2 * i] - 0.5, 2) + pow(x[2 * i + 1] - 0.5, 2)));
    }
}
static double gauss_cdf(double x) {
    return 0.5 + 0.5 * erf(sqrt(8) * (x - 0.5)) / erf(sqrt(8) / 2);
}

static void test_training(bml_sample_rng *rng) {
    static const double zero[2] = {0, 0};
    static const double one[2] = {1, 1};
    static const double pi = 3.14159265358979323846;
    static const int paper[4] = {32, 32, 32, 32};
    int width = 8;
    double loss = 1;
    double worst = 0;
    double square = 0;
    bml_sample_net *net = NULL;
    bml_sample_training t = {.density = paper_density,
                             .n_dim = 1,
                             .n_z = 1,
                             .lower = zero,
                             .upper = one,
                             .z_lower = zero,
                             .z_upper = &pi,
                             .hidden = paper,
                             .n_hidden = 4,
                             .target = 1e-7,
                             .conditions = quick ? 8 : 128,
                             .points = quick ? 16 : 64,
                             .epochs = quick ? 4 : 600,
                             .learning_rate = 3e-3,
                             .seed = 1};
    int status = bml_sample_net_train(&net, &loss, &t, NULL);
    CHECK(status == BML_SAMPLE_OK || quick, "the paper's F_theta: trained to a loss of %.2g (%s)", loss,
          bml_sample_strerror(status));
    const int unseen = lengthy ? 40 : 10;
    for (int i = 0; i < unseen && net && !quick; i++) { /* at theta that it has not seen */
        bml_sample_table *table = NULL;
        double theta = pi * bml_sample_rng_uniform(rng);
        double x[200];
        double c[200];
        float z = (float)theta;
        float u[200];
        float y[200];
        bml_sample_table_config config = {.density = paper_density, .z = &theta, .lower = 0, .upper = 1};
        bml_sample_net_call call = {200, u, &z, 1};
        for (int k = 0; k < 200; k++) {
            u[k] = ((float)k + 0.5f) / 200;
        }
        bml_sample_net_draw(net, y, &call, NULL);
        for (int k = 0; k < 200; k++) {
            x[k] = (double)y[k];
        }
        bml_sample_table_create(&table, &config, NULL);
        bml_sample_table_cdf(table, c, NULL, x, 200);
        for (int k = 0; k < 200; k++) {
            worst = fmax(worst, fabs(c[k] - (double)u[k]));
            square += pow(c[k] - (double)u[k], 2) / (200.0 * unseen);
        }
        bml_sample_table_free(table);
    }
    if (!quick) CHECK_LE(square, 4 * t.target, "  loss at unseen theta, against four times the target");
    if (!quick) CHECK_LE(worst, 10 * sqrt(t.target), "  largest CDF error at unseen theta, against ten rms targets");
    bml_sample_net_free(net);

    bml_sample_training two = {.density = gauss_density,
                               .n_dim = 2,
                               .lower = zero,
                               .upper = one,
                               .hidden = &width,
                               .n_hidden = 1,
                               .target = 1e-5,
                               .conditions = quick ? 4 : 32,
                               .points = 32,
                               .epochs = quick ? 3 : 2000,
                               .batch = 16,
                               .seed = 2};
    status = bml_sample_net_train(&net, &loss, &two, NULL);
    CHECK(status == BML_SAMPLE_OK || quick, "the 2-D Gaussian: trained to a loss of %.2g (%s)", loss,
          bml_sample_strerror(status));
    if (net && !quick) {
        static float u[2000];
        static float y[2000];
        bml_sample_net_call call = {1000, u, NULL, 0};
        worst = 0;
        for (int i = 0; i < 2000; i++) {
            u[i] = (float)bml_sample_rng_uniform(rng);
        }
        bml_sample_net_draw(net, y, &call, NULL);
        for (int i = 0; i < 2000; i++) {
            worst = fmax(worst, fabs(gauss_cdf((double)y[i]) - (double)u[i])); /* independent coordinates */
        }
        CHECK_LE(worst, 10 * sqrt(two.target), "  both coordinates against erf");
    }
    bml_sample_net_free(net);
    two.n_dim = 4;
    CHECK(bml_sample_net_train(&net, NULL, &two, NULL) == BML_SAMPLE_BAD_ARGUMENT && !net, "training: four dimensions");
    int kind = NEGATIVE;
    bml_sample_training bad = {.density = density, .user = &kind, .n_dim = 1, .lower = zero, .upper = one, .epochs = 1};
    CHECK(bml_sample_net_train(&net, NULL, &bad, NULL) == BML_SAMPLE_BAD_DENSITY && !net,
          "training: a negative density");
    kind = ZERO;
    CHECK(bml_sample_net_train(&net, NULL, &bad, NULL) == BML_SAMPLE_ZERO_DENSITY && !net,
          "training: a density of zero");
}
#endif

/* ---- bad input to the Compton sampler ---- */
static void refuse(float gamma, float eps0, float u, int want, const char *text) {
    float out[3] = {7, 7, 7};
    float g[3] = {10, 10, gamma};
    float e[3] = {1e-3f, 1e-3f, eps0};
    float uu[3] = {0.5f, 0.5f, u};
    double outd[3] = {7, 7, 7};
    double gd[3] = {10, 10, (double)gamma};
    double ed[3] = {1e-3, 1e-3, (double)eps0};
    double ud[3] = {0.5, 0.5, (double)u};
    int ok = 1;
    for (int m = 0; m < 3; m++) {
        bml_sample_photonsf f = {.n = 3, .gamma = g, .eps0 = e, .u = uu, .method = m, .nodes = &nodes};
        bml_sample_photons d = {.n = 3, .gamma = gd, .eps0 = ed, .u = ud, .method = m, .nodes = &nodes};
        ok &= bml_sample_comptonf(out, &f, NULL) == want && bml_sample_compton(outd, &d, NULL) == want;
        ok &= bml_sample_compton_findf(&f) == (want == BML_SAMPLE_OUT_OF_DOMAIN ? 2u : 3u) &&
              bml_sample_compton_find(&d) == bml_sample_compton_findf(&f);
        if (want) {
            ok &= out[0] == 7 && outd[0] == 7 && out[2] == 7 && outd[2] == 7;
        }
    }
    CHECK(ok, "refused: %s", text);
}

static void test_bad_input(bml_sample_rng *rng) {
    float g = 10;
    float e = 1e-3f;
    float u = 0.5f;
    float out = 7;
    double c = 0;
    double dir[3] = {0, 0, 1};
    double wrong[3] = {0, 0, 2};
    double eps = 0;
    bml_sample_event event = {100, 1e-3, 1};
    bml_sample_collision hit = {10, dir, 1, wrong};
    static bml_sample_compton_nodes unmade;
    bml_sample_photonsf how = {.n = 1, .gamma = &g, .eps0 = &e, .u = &u};
    refuse(0.99f, 1e-3f, 0.5f, BML_SAMPLE_OUT_OF_DOMAIN, "gamma < 1");
    refuse(NAN, 1e-3f, 0.5f, BML_SAMPLE_OUT_OF_DOMAIN, "gamma = NaN");
    refuse(INFINITY, 1e-3f, 0.5f, BML_SAMPLE_OUT_OF_DOMAIN, "gamma infinite");
    refuse(1.1e11f, 1e-3f, 0.5f, BML_SAMPLE_OUT_OF_DOMAIN, "gamma > 1e11");
    refuse(10, -1, 0.5f, BML_SAMPLE_OUT_OF_DOMAIN, "eps0 < 0");
    refuse(10, NAN, 0.5f, BML_SAMPLE_OUT_OF_DOMAIN, "eps0 = NaN");
    refuse(10, 0.9e-13f, 0.5f, BML_SAMPLE_OUT_OF_DOMAIN, "eps0 < 1e-13");
    refuse(1000, 101, 0.5f, BML_SAMPLE_OUT_OF_DOMAIN, "eps0 > 1e2");
    refuse(30, 29.995f, 0.5f, BML_SAMPLE_OUT_OF_DOMAIN, "eps0 above gamma - 1/(4 gamma): no energy is left");
    refuse(30, 29.98f, 0.5f, BML_SAMPLE_OK, "(not refused: gamma = 30, eps0 = 29.98)");
    refuse(1, 100, 0.5f, BML_SAMPLE_OK, "(not refused: gamma = 1, eps0 = 100, an exact collision)");
    refuse(1e11f, 1e-13f, 1, BML_SAMPLE_OK, "(not refused: the corners, u = 1)");
    refuse(1e11f, 100, 0, BML_SAMPLE_OK, "(not refused: the corners, u = 0)");
    refuse(10, 1e-3f, 1.001f, BML_SAMPLE_BAD_ARGUMENT, "u > 1");
    refuse(10, 1e-3f, -1e-9f, BML_SAMPLE_BAD_ARGUMENT, "u < 0");
    refuse(10, 1e-3f, NAN, BML_SAMPLE_BAD_ARGUMENT, "u = NaN");
    how.method = BML_SAMPLE_TABLE;
    CHECK(bml_sample_comptonf(&out, &how, NULL) == BML_SAMPLE_BAD_ARGUMENT && out == 7, "table without its nodes");
    how.nodes = &unmade;
    CHECK(bml_sample_comptonf(&out, &how, NULL) == BML_SAMPLE_BAD_ARGUMENT && out == 7,
          "table with nodes that were not made");
    how.method = 3;
    CHECK(bml_sample_comptonf(&out, &how, NULL) == BML_SAMPLE_BAD_ARGUMENT && out == 7, "no such method");
    how.method = 0;
    how.u = NULL;
    CHECK(bml_sample_comptonf(&out, &how, NULL) == BML_SAMPLE_BAD_ARGUMENT && out == 7, "neither u nor a generator");
    how.n = 0;
    CHECK(bml_sample_comptonf(&out, &how, rng) == BML_SAMPLE_OK && out == 7, "no photons: no draw, no error");
    CHECK(bml_sample_compton_cdf(&c, 1, 0.5, 1e-3) == BML_SAMPLE_OUT_OF_DOMAIN &&
              bml_sample_compton_cdf(&c, NAN, 10, 1e-3) == BML_SAMPLE_BAD_ARGUMENT,
          "CDF: bad arguments");
    CHECK(!bml_sample_compton_cdf(&c, 1e-4, 10, 1e-3) && c == 0 && !bml_sample_compton_cdf(&c, 10, 10, 1e-3) && c == 1,
          "CDF: 0 below eps0, 1 above the largest energy");
    CHECK(bml_sample_compton_direction(dir, wrong, &event, rng) == BML_SAMPLE_BAD_ARGUMENT,
          "direction: not a unit vector");
    event.eps = 1e-4;
    CHECK(bml_sample_compton_direction(dir, dir, &event, rng) == BML_SAMPLE_OUT_OF_DOMAIN, "direction: eps < eps0");
    event.eps = 99;
    CHECK(bml_sample_compton_direction(dir, dir, &event, rng) == BML_SAMPLE_OUT_OF_DOMAIN,
          "direction: eps beyond the largest");
    CHECK(bml_sample_scatter(&eps, dir, &hit, rng) == BML_SAMPLE_BAD_ARGUMENT, "collision: not a unit vector");
    hit.photon = dir;
    hit.eps0 = -1;
    CHECK(bml_sample_scatter(&eps, dir, &hit, rng) == BML_SAMPLE_BAD_ARGUMENT, "collision: eps0 < 0");
    CHECK(bml_sample_thermal_electrons(draws, 1, -1, rng) == BML_SAMPLE_BAD_ARGUMENT &&
              bml_sample_black_body(draws, 1, 5, rng) == BML_SAMPLE_BAD_ARGUMENT,
          "sources: bad arguments");
    CHECK(!strcmp(bml_sample_strerror(0), "no error") && !strcmp(bml_sample_strerror(-99), "unknown status"),
          "messages");
}

/* ---- density: the slope of the CDF ---- */
static void test_pdf(bml_sample_rng *rng) {
    double worst = 0;
    for (int i = 0; i < 300; i++) {
        double gamma;
        double eps0;
        double p = 0;
        double c[2] = {0, 0};
        random_pair(&gamma, &eps0, 1, rng);
        double top = gamma * 4 * gamma * eps0 / (1 + 4 * gamma * eps0);
        double eps = eps0 + (top - eps0) * (0.02 + 0.96 * bml_sample_rng_uniform(rng));
        double h = 1e-4 * fmin(eps - eps0, top - eps);
        if (!(gamma - eps > 1e-6 * gamma)) continue; /* 1 - E from eps keeps too little */
        h = fmin(h, 1e-3 * (gamma - eps));
        bml_sample_compton_pdf(&p, eps, gamma, eps0);
        bml_sample_compton_cdf(&c[0], eps - h, gamma, eps0);
        bml_sample_compton_cdf(&c[1], eps + h, gamma, eps0);
        worst =
            fmax(worst, fabs((c[1] - c[0]) / (2 * h * p) - 1) * fmin(1, p * h * 1e9)); /* CDF noise 1e-15 over p h */
    }
    CHECK_LE(worst, 1e-4,
             /* h^2 p''/p/6, h = 1e-3 of the scale of change at most, and the noise */
             "density against differences of the CDF");
}

int main(int argc, char **argv) {
    unsigned long seed = check_seed(argc, argv);
    quick = getenv("BML_CHECK_QUICK") != NULL;
    lengthy = getenv("BML_CHECK_LONG") != NULL;
    bml_sample_rng rng;
    bml_sample_rng_init(&rng, seed, 1);
    bml_sample_compton_table(&nodes);
    test_generator();
    test_uniforms(&rng);
    test_rates();
    test_exact(&rng);
    test_pdf(&rng);
    test_domain(&rng);
    test_compton_draws(&rng);
    test_calls();
    test_power_spectra(&rng);
    test_collisions(&rng);
    test_rest_frame(&rng);
    test_kernel_error(&rng);
    test_direction(&rng);
    test_sources(&rng);
    test_synchrotron(&rng);
    test_power();
    test_tables(&rng);
    test_pieces();
    test_refused_tables();
    test_samples(&rng);
    test_grids(&rng);
    test_alias(&rng);
    test_references(&rng);
    test_quality(&rng);
    test_net_arrays(&rng);
#ifdef BML_SAMPLE_TRAIN
    test_training(&rng);
#endif
    test_bad_input(&rng);
    return check_done();
}
