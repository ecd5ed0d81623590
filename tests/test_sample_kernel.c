/* test_sample_kernel.c: the inline functions of bml_sample.h, exact collisions, thermal steps, strong fields, tables
   with tails and peaks, cells, memory that ends. It uses no bml_nn.h, so that it is compiled with -Ofast too and must
   say the same there: NaN is told by its bits here. Random comparisons as in test_sample.c. */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wdouble-promotion" /* quadrature in long double is the point here */
#endif
#include "check.h"
#include <float.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* An allocator of which the k-th call fails. */
static long calls, fail_at, live;
static void *some_malloc(size_t n) {
    calls++;
    if (calls == fail_at) return NULL;
    void *p = malloc(n);
    live += p != NULL;
    return p;
}
static void *some_realloc(void *old, size_t n) {
    calls++;
    if (calls == fail_at) return NULL;
    void *p = realloc(old, n);
    live += p != NULL && !old;
    return p;
}
static void some_free(void *p) {
    live -= p != NULL;
    free(p);
}
#undef BML_SAMPLE_IMPLEMENTED
#define BML_SAMPLE_STATIC
#define BML_SAMPLE_MALLOC(n) some_malloc(n)
#define BML_SAMPLE_REALLOC(p, n) some_realloc(p, n)
#define BML_SAMPLE_FREE(p) some_free(p)
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

#ifdef __FAST_MATH__ /* a comparison with NaN says what it likes */
#undef CHECK_LE
#define CHECK_LE(got, limit, name)                                                                                    \
    do {                                                                                                              \
        double got_ = (got);                                                                                          \
        CHECK(bml_sample__finite(got_) && got_ <= (limit), "%s: %.6g, must be <= %.6g", name, got_, (double)(limit)); \
    } while (0)
#endif

enum { LARGE = 400000 };
static const double KS = 2.6;
static const double PI = 3.14159265358979323846;
static int quick;
static double draws[LARGE], other[LARGE];
static bml_sample_compton_nodes nodes;
static bml_sample_thermal_nodes thermal;
static bml_sample_qed_nodes qed;

static double largest(double a, double b) {
    if (!bml_sample__finite(b)) return 1e300;
    return a > b ? a : b;
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
    for (int j = 0; j < n; j++) {
        if (!bml_sample__finite(a[j]) || !bml_sample__finite(b[j])) return 1e300;
    }
    while (i < n && k < n) {
        if (a[i] <= b[k]) {
            i++;
        } else {
            k++;
        }
        d = largest(d, fabs((double)(i - k)) / n);
    }
    return d * sqrt(0.5 * n);
}

/* 10-point Gauss-Legendre on n panels. */
static double panels(double (*f)(double x, const void *p), const void *p, double a, double b, int n) {
    static const double x[5] = {0.1488743389816312, 0.4333953941292472, 0.6794095682990244, 0.8650633666889845,
                                0.9739065285171717};
    static const double w[5] = {0.2955242247147529, 0.2692667193099964, 0.2190863625159820, 0.1494513491505806,
                                0.0666713443086881};
    double sum = 0;
    double h = (b - a) / n / 2;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < 5; k++) {
            double m = a + h * (2 * i + 1);
            sum += w[k] * (f(m - h * x[k], p) + f(m + h * x[k], p));
        }
    }
    return sum * h;
}

/* ---- the small net: what one photon's short form takes for granted ---- */
/* Sums of the units of both layers at (t, s) into sums[16], and N. *error: what it becomes by 2e-6 in every tanh, the
   slope of the second one considered. */
static double units(double *error, double *sums, double t, double s) {
    const float *w = bml_sample__weights();
    double n = (double)w[104];
    *error = 0;
    for (int k = 0; k < 8; k++) {
        sums[k] = (double)w[16 + k] + (double)w[k] * t + (double)w[8 + k] * s;
    }
    for (int k = 0; k < 8; k++) {
        sums[8 + k] = (double)w[88 + k];
        double before = 0;
        for (int j = 0; j < 8; j++) {
            double weight = (double)w[24 + 8 * j + k];
            sums[8 + k] += weight * tanh(sums[j]);
            before += 2e-6 * fabs(weight);
        }
        double out = tanh(sums[8 + k]);
        n += (double)w[96 + k] * out;
        *error += fabs((double)w[96 + k]) * (2e-6 + (1 - out * out) * before);
    }
    return n;
}

static void test_small_net(void) {
    double lowest = 0;
    double highest = 0;
    double most[2] = {0, 0};
    double apart = 0;
    for (int i = 0; i <= 100; i++) {
        for (int k = 0; k <= 100; k++) {
            float t = (float)i / 100;
            float s = bml_sample__s_max * (float)k / 100;
            double sums[16];
            double allowed;
            double n = units(&allowed, sums, (double)t, (double)s);
            for (int j = 0; j < 16; j++) {
                highest = largest(highest, sums[j]);
                lowest = largest(lowest, j < 8 ? -sums[j] : 0);
            }
            float by_net = bml_sample__network(t, s);
            most[0] = largest(most[0], (double)by_net);
            most[1] = largest(most[1], (double)bml_sample__lookup(nodes.n, t, s));
            apart = largest(apart, fabs((double)by_net - n) / allowed);
        }
    }
    CHECK_LE(highest, 7.5, "sums of the small net's units, where its tanh holds");
    CHECK_LE(lowest, 7.5, "  and below, in the first layer");
    CHECK_LE(most[0], 0.99, "N by the net is below 1: no energy above gamma b/(1+b)");
    CHECK_LE(most[1], 0.99, "N by the table is below 1");
    CHECK_LE(apart, 1, "N by vectors of floats against plain loops in double, over what 2e-6 in each tanh makes");
}

/* ---- one photon is a batch of one ---- */
static void test_inline(bml_sample_rng *rng) {
    double worst[2] = {0, 0};
    double low = 0;
    for (int i = 0; i < (quick ? 2000 : 50000); i++) {
        float gamma = (float)pow(10, 11 * bml_sample_rng_uniform(rng));
        float eps0 = (float)pow(10, -13 + 15 * bml_sample_rng_uniform(rng));
        float u = (float)bml_sample_rng_uniform(rng);
        if (i % 4 == 0) {
            gamma = (float)(1 + 30 * bml_sample_rng_uniform(rng));
        }
        if (gamma >= 10 && eps0 > 0.1f * gamma) continue; /* ends of spectra: another method */
        for (int m = 0; m < 2; m++) {
            float batch = 0;
            float rest = 0;
            float rest_batch = 0;
            bml_sample_photonsf how = {.n = 1, .gamma = &gamma, .eps0 = &eps0, .u = &u, .method = m, .nodes = &nodes};
            how.rest = &rest_batch;
            if (bml_sample_comptonf(&batch, &how, NULL)) worst[m] = 1e300;
            float one = bml_sample_compton_step(&rest, gamma, eps0, u, m ? &nodes : NULL);
            double apart = fabs((double)one / (double)batch - 1);
            if (gamma < 20) {
                low = largest(low, apart);
            } else {
                worst[m] = largest(worst[m], apart * (double)u); /* u_min of the short form moves u by 2e-6 */
            }
        }
    }
    CHECK_LE(worst[0], 2e-5, "inline net against the batch, relative, times u");
    CHECK_LE(worst[1], 2e-5, "inline table against the batch");
    CHECK_LE(low, 1e-5, "exact collisions below gamma = 20 are the same photons");
    double rate = 0;
    for (double lb = -12; lb < 12; lb += 0.1) {
        bml_sample_rates r = {0, 0, 0, 0};
        float g = 1e6f;
        float e = (float)(pow(10, lb) / 4e6);
        bml_sample_compton_rates(&r, 4 * (double)g * (double)e);
        rate = largest(rate, fabs((double)bml_sample_compton_rate(g, e) / r.rate - 1));
    }
    CHECK_LE(rate, 3e-5, "inline rate");
    double sigma = 0;
    for (double lx = -9; lx < 10; lx += 0.07) {
        double x = pow(10, lx);
        sigma = largest(sigma, fabs(bml_sample_klein_nishina_fast(x) / bml_sample_klein_nishina(x) - 1));
    }
    CHECK_LE(sigma, 3e-6, "inline Klein-Nishina cross section");
}

/* ---- low gamma: exact kinematics ---- */
static void isotropic(double *d, bml_sample_rng *rng) {
    double u = bml_sample_rng_uniform(rng);
    bml_sample_isotropic(d, u, bml_sample_rng_uniform(rng));
}

/* One scattering out of isotropic photons by bml_sample_scatter. */
static double collide(double gamma, double eps0, bml_sample_rng *rng) {
    double axis[3] = {0.6, 0, 0.8};
    double photon[3];
    double out[3];
    double eps = 0;
    double beta = sqrt((gamma - 1) * (gamma + 1)) / gamma;
    double far;
    bml_sample_collision c = {gamma, axis, eps0, photon};
    do {
        isotropic(photon, rng);
        far = 1 - beta * (photon[0] * axis[0] + photon[1] * axis[1] + photon[2] * axis[2]);
    } while (2 * bml_sample_rng_uniform(rng) > far * bml_sample_klein_nishina(gamma * eps0 * far));
    if (bml_sample_scatter(&eps, out, &c, rng)) return -1;
    return eps;
}

static void test_low_gamma(bml_sample_rng *rng) {
    static const double gamma[5] = {1, 1.02, 1.5, 4, 9.9};
    static const double eps0[3] = {1e-9, 1e-2, 3};
    int n = quick ? 2000 : 30000;
    for (int k = 0; k < 5; k++) {
        for (int j = 0; j < 3; j++) {
            static float e[LARGE];
            float g = (float)gamma[k];
            float x = (float)eps0[j];
            char text[100];
            bml_sample_photonsf how = {.n = (size_t)n, .gamma = &g, .eps0 = &x, .one_gamma = 1, .one_eps0 = 1};
            int status = bml_sample_comptonf(e, &how, rng);
            for (int i = 0; i < n; i++) {
                draws[i] = (double)e[i] / (double)x;
                other[i] = (double)(float)collide((double)g, (double)x, rng) / (double)x;
            }
            if (gamma[k] == 1 && j == 0) { /* no recoil: a line, rounded either way */
                for (int i = 0; i < n; i++) {
                    draws[i] = other[i] = 1 + 1e-6 * bml_sample_rng_uniform(rng) + 0 * draws[i];
                }
            }
            snprintf(text, sizeof text, "gamma %g, eps0 %g against single collisions, D sqrt(N/2)", gamma[k], eps0[j]);
            CHECK_LE(status ? 1e9 : two_sample(draws, other, n), KS, text);
        }
    }
    /* between 10 and 20 the share of collisions falls to nothing: at 19.99 and 20.01 the same distribution, to 0.1 % */
    static float e[2][LARGE];
    for (int k = 0; k < 2; k++) {
        float g = k ? 20.01f : 19.99f;
        float x = 1e-3f;
        bml_sample_photonsf how = {.n = (size_t)n, .gamma = &g, .eps0 = &x, .one_gamma = 1, .one_eps0 = 1};
        bml_sample_comptonf(e[k], &how, rng);
    }
    for (int i = 0; i < n; i++) {
        draws[i] = (double)e[0][i];
        other[i] = (double)e[1][i];
    }
    CHECK_LE(two_sample(draws, other, n), KS + 0.002 * sqrt(0.5 * n), "continuous at gamma = 20");
}

/* ---- conservation ---- */
static void test_conservation(bml_sample_rng *rng) {
    double worst = 0;
    double above = 0;
    double norm = 0;
    double shift = 0;
    for (int i = 0; i < (quick ? 5000 : 200000); i++) {
        double e[3];
        double k[3];
        bml_sample_scattered after = {0};
        double gamma = i % 5 ? pow(10, 11 * bml_sample_rng_uniform(rng)) : 1e11;
        double eps0 = i % 5 ? pow(10, -13 + 15 * bml_sample_rng_uniform(rng)) : 100;
        isotropic(e, rng);
        isotropic(k, rng);
        if (i % 7 == 0) {
            for (int j = 0; j < 3; j++) {
                k[j] = i % 2 ? e[j] : -e[j]; /* tail-on and head-on */
            }
        }
        bml_sample_collision c = {gamma, e, eps0, k};
        if (bml_sample_scatter_stokes(&after, NULL, &c, rng)) worst = 1e300;
        double all = gamma + eps0;
        worst = largest(worst, fabs(after.eps + after.gamma - all) / all);
        above = largest(above, after.eps - all);
        norm = largest(norm, fabs(bml_sample__dot(after.out, after.out) - 1));
        if (!(after.eps > 0) || !(after.gamma >= 1)) {
            worst = 1e300;
        }
        if (gamma > 1e4) continue; /* the directions' last digits would show: 1 - cos is 1e-16/(1/gamma^2) */
        double b = sqrt((gamma - 1) * (gamma + 1));
        double pk = eps0 * (gamma - b * bml_sample__dot(e, k));
        double po = after.eps * (gamma - b * bml_sample__dot(e, after.out));
        double ko = eps0 * after.eps * (1 - bml_sample__dot(k, after.out));
        double scale = pk + (after.eps * gamma + eps0 * after.eps + eps0 * gamma) * 1e-7; /* 1e-16 of each, over 1e-9 */
        shift = largest(shift, fabs(pk - po - ko) / scale);
    }
    CHECK_LE(worst, 1e-12, "energy of photon and electron is conserved, gamma to 1e11, eps0 to 100");
    CHECK_LE(above, 0, "no photon has more than there is");
    CHECK_LE(norm, 1e-12, "directions are unit vectors");
    CHECK_LE(shift, 1e-8, "p k = k' (p + k)");
}

/* ---- polarisation ---- */
static void test_polarisation(bml_sample_rng *rng) {
    double degree = 0;
    double pure = 0;
    double across = 0;
    double twice = 0;
    int n = quick ? 5000 : 50000;
    double kz[3] = {0, 0, 1};
    for (int i = 0; i < n; i++) {
        bml_sample_scattered after = {0};
        bml_sample_stokes none = {0, 0, 0, {1, 0, 0}};
        bml_sample_collision rest = {1, NULL, 1e-9, kz};
        if (bml_sample_scatter_stokes(&after, &none, &rest, rng)) degree = 1e300;
        double c = after.out[2];
        double want = (1 - c * c) / (1 + c * c); /* Rayleigh & Thomson */
        degree = largest(degree, fabs(sqrt(none.q * none.q + none.u * none.u) - want));
        double normal[3];
        bml_sample__cross(normal, kz, after.out);
        double size = sqrt(bml_sample__dot(normal, normal));
        /* the electric vector stands across the plane of scattering: Q about the normal is +want */
        double angle = bml_sample__angle(none.axis, normal, after.out);
        bml_sample__turn_stokes(&none.q, &none.u, angle);
        if (size > 1e-3) {
            across = largest(across, fabs(none.q - want) + fabs(none.u));
        }
        /* a linearly polarised photon, anywhere, at any gamma without recoil, stays wholly polarised */
        double e[3];
        double k[3];
        isotropic(e, rng);
        isotropic(k, rng);
        double gamma = pow(10, 3 * bml_sample_rng_uniform(rng));
        bml_sample_collision hit = {gamma, e, 1e-10 / gamma, k};
        double phi = 2 * PI * bml_sample_rng_uniform(rng);
        bml_sample_stokes s = {cos(phi), sin(phi), 0, {0, 0, 0}};
        bml_sample__across(s.axis, k);
        if (bml_sample_scatter_stokes(&after, &s, &hit, rng)) pure = 1e300;
        pure = largest(pure, fabs(s.q * s.q + s.u * s.u + s.v * s.v - 1));
        pure = largest(pure, fabs(bml_sample__dot(s.axis, after.out)));
        /* at rest the azimuth of polarised photons: density 1 - A cos 2 phi about the electric vector */
        bml_sample_stokes x = {1, 0, 0, {1, 0, 0}};
        bml_sample_scatter_stokes(&after, &x, &rest, rng);
        double r2 = after.out[0] * after.out[0] + after.out[1] * after.out[1];
        twice += (after.out[0] * after.out[0] - after.out[1] * after.out[1]) / (r2 + 1e-300) / n;
    }
    CHECK_LE(degree, 1e-7, "unpolarised light scattered at rest: the degree is (1 - c^2)/(1 + c^2)");
    CHECK_LE(across, 1e-6, "  its electric vector across the plane of scattering");
    CHECK_LE(pure, 1e-6, "wholly polarised light stays so without recoil, electrons to gamma = 1000");
    /* mean of cos 2 phi: -(1/2) <A>, A = sin^2/(1 + c^2) over (3/8)(1 + c^2): -(1/2)(3/8)(4/3) = -1/4; noise
       1/sqrt(2n) */
    CHECK_LE(fabs(twice + 0.25), 5 / sqrt(2.0 * n), "  and prefers the plane across its electric vector");
}

/* ---- thermal electrons ---- */
static double juettner(double y, const void *p) { /* over ln of the momentum */
    double theta = *(const double *)p;
    double q = exp(y);
    return q * q * q * exp(-q * q / (1 + sqrt(1 + q * q)) / theta);
}

static double recoil_weight(double l, const void *p) { /* over l = -ln r */
    double x = *(const double *)p;
    double r = exp(-l);
    double t = expm1(l) / x;
    return r * (r + 1 / r - t * (2 - t));
}

static double hot_x;
static double rate_over_closing(double closing, const void *p) {
    double gamma = *(const double *)p;
    return closing * bml_sample_klein_nishina(gamma * hot_x * closing);
}
static double hot_weight(double y, const void *p) {
    double q = exp(y);
    double gamma = sqrt(1 + q * q);
    double beta = q / gamma;
    double slow = 1 / (gamma * (gamma + q));
    double rate = panels(rate_over_closing, &gamma, slow, slow + 2 * beta, 8) / (2 * beta);
    return juettner(y, p) * rate;
}

static void test_thermal(bml_sample_rng *rng) {
    static const double theta[5] = {3e-4, 0.02, 0.37, 4, 300};
    double momentum = 0;
    double section = 0;
    for (int k = 0; k < 5; k++) {
        double top = log(bml_sample__momentum_top(theta[k]));
        double whole = panels(juettner, &theta[k], top - 30, top, 60);
        for (int i = 0; i < 200; i++) {
            double u = (i + 0.5) / 200;
            double gamma = bml_sample_thermal_gamma((float)theta[k], (float)u, &thermal);
            double p = sqrt((gamma - 1) * (gamma + 1));
            double c = panels(juettner, &theta[k], top - 30, log(p), 60) / whole;
            momentum = largest(momentum, fabs(c - (double)(float)u));
        }
        for (int j = 0; j < 5; j++) {
            static const double x[5] = {1e-5, 3e-3, 0.2, 7, 400};
            hot_x = x[j];
            double want = panels(hot_weight, &theta[k], top - 14, top, 40) / whole;
            double got = (double)bml_sample_thermal_cross_section((float)theta[k], (float)x[j], &thermal);
            section = largest(section, fabs(got / want - 1));
        }
    }
    CHECK_LE(momentum, 1e-4, "thermal electrons at u: CDF by quadrature");
    CHECK_LE(section, 3e-4, "hot cross section, relative, against quadrature in two dimensions");
    double recoil = 0;
    for (double lx = -3; lx < 8; lx += 0.7) {
        for (int i = 1; i < 50; i++) {
            double x = pow(10, lx);
            float u = (float)i / 50;
            double t = bml_sample__recoil_at(u, x, thermal.recoil);
            double L = log1p(2 * x);
            double c = panels(recoil_weight, &x, 0, log1p(x * t), 40) / panels(recoil_weight, &x, 0, L, 60);
            recoil = largest(recoil, fabs(c - (double)u));
        }
    }
    CHECK_LE(recoil, 1e-4, "recoil at u: CDF by quadrature");
    /* Without recoil a thermal electron gives on average 4/3 <p^2>, <p^2> = 3 theta K_3/K_2(1/theta) by quadrature. */
    for (int k = 1; k < 4; k++) {
        bml_sample_medium medium = {(float)theta[k], &thermal};
        int n = quick ? 5000 : 100000;
        double mean = 0;
        double square = 0;
        double photon[3] = {0.48, 0.6, 0.64};
        double exact_theta = (double)medium.theta;
        for (int i = 0; i < n; i++) {
            bml_sample_scattered after = {0};
            bml_sample_thermal_step(&after, NULL, &medium, 1e-9, photon, rng);
            mean += after.eps * 1e9 / n;
            square += after.eps * after.eps * 1e18 / n;
        }
        double p2 = 0;
        double whole = 0;
        for (int i = 0; i < 40000; i++) {
            double p = bml_sample__momentum_top(exact_theta) * (i + 0.5) / 40000;
            double w = bml_sample__juettner(p, exact_theta);
            p2 += w * p * p;
            whole += w;
        }
        double want = 1 + 4.0 / 3 * p2 / whole;
        CHECK_LE(fabs(mean - want), 5 * sqrt((square - mean * mean) / n) + 2e-4 * want,
                 "thermal step without recoil: mean gain 1 + 4/3 <p^2>");
    }
}

/* ---- strong fields, against quadrature of the published integrals ---- */
static double bessel_order;
static double bessel_integrand(double t, const void *p) {
    double y = *(const double *)p;
    return exp(-y * (cosh(t) - 1)) * cosh(bessel_order * t);
}
static double bessel_over(double t, const void *p) {
    return bessel_integrand(t, p) / cosh(t);
}
static double bessel(double nu, double y, int integral) { /* times e^y */
    bessel_order = nu;
    double end = acosh(1 + 45 / y);
    return panels(integral ? bessel_over : bessel_integrand, &y, 0, end, 12);
}
static double emission(double z, const void *p) { /* over ln z, z = xi/(1 - xi) */
    double chi = *(const double *)p;
    double e = exp(z);
    double xi = e / (1 + e);
    double y = 2 * e / (3 * chi);
    if (y > 200) return 0;
    return exp(-y) * (bessel(5.0 / 3, y, 1) + xi * xi / (1 - xi) * bessel(2.0 / 3, y, 0)) * xi / (1 + e);
}
static double pairs(double g, const void *p) { /* xi = 1/(1 + e^(2 g)), times e^(8/(3 chi)) */
    double chi = *(const double *)p;
    double xi = 1 / (1 + exp(2 * g));
    double rest = 1 / (1 + exp(-2 * g));
    double y = 2 / (3 * chi * xi * rest);
    if (y - 8 / (3 * chi) > 60) return 0;
    double sum = (xi / rest + rest / xi) * bessel(2.0 / 3, y, 0) + bessel(1.0 / 3, y, 1);
    return exp(8 / (3 * chi) - y) * sum * 2 * xi * rest;
}

static void test_strong_fields(void) {
    double rate[2] = {0, 0};
    double cdf[2] = {0, 0};
    for (double lc = -3.3; lc < 3; lc += quick ? 2.1 : 0.77) {
        double chi = (double)(float)pow(10, lc);
        double top = log(60 * 1.5 * chi);
        double whole = panels(emission, &chi, top - 45, top, 60);
        rate[0] = largest(rate[0], fabs((double)bml_sample_emission_rate((float)chi, &qed) / whole - 1));
        for (int i = 0; i < 8; i++) {
            float u = ((float)i + 0.3f) / 8;
            double xi = (double)bml_sample_emission_energy((float)chi, u, &qed);
            double c = panels(emission, &chi, top - 45, log(xi / (1 - xi)), 60) / whole;
            cdf[0] = largest(cdf[0], fabs(c - (double)u));
        }
        if (chi < 0.05) continue;
        double g_top = asinh(sqrt(22.5 * chi));
        double half = panels(pairs, &chi, 0, g_top, 60);
        double got = (double)bml_sample_pair_rate((float)chi, &qed);
        rate[1] = largest(rate[1], fabs(got / (2 * half * exp(-8 / (3 * chi))) - 1));
        for (int i = 0; i < 8; i++) {
            float u = ((float)i + 0.3f) / 8;
            double xi = (double)bml_sample_pair_energy((float)chi, u, &qed);
            double g = 0.5 * log((1 - xi) / xi);
            double c = 0.5 - 0.5 * panels(pairs, &chi, 0, g, 60) / half; /* odd in g */
            cdf[1] = largest(cdf[1], fabs(c - (double)u));
        }
    }
    CHECK_LE(rate[0], 1e-4, "quantum synchrotron rate against its integral, chi 5e-4 ... 1e3");
    CHECK_LE(cdf[0], 1e-4, "quantum synchrotron photon energies: CDF");
    CHECK_LE(rate[1], 1e-4, "Breit-Wheeler rate against its integral, chi 0.1 ... 1e3");
    CHECK_LE(cdf[1], 1e-4, "Breit-Wheeler energy split: CDF");
    /* Ritus 1985: W = 5/(2 sqrt 3) alpha chi (1 - 8 sqrt 3/15 chi) m/gamma for small chi; 1.46 alpha chi^(2/3) for
       large */
    double small_chi = (double)bml_sample_emission_rate(1e-3f, &qed) / (sqrt(3.0) * PI);
    CHECK_NEAR(small_chi / 1e-3, 5 / (2 * sqrt(3.0)) * (1 - 8 * sqrt(3.0) / 15 * 1e-3), 2e-4,
               "emission for small chi, with its first correction");
    double large_chi = (double)bml_sample_emission_rate(9e3f, &qed) / (sqrt(3.0) * PI);
    CHECK_NEAR(large_chi / pow(9e3, 2.0 / 3), 1.46, 0.02, "emission for large chi");
    /* 3 sqrt 3/(16 sqrt 2) chi e^(-8/(3 chi)) for small chi, next order 11 chi/64; 0.38 chi^(2/3) for large */
    double few = (double)bml_sample_pair_rate(0.05f, &qed) / (sqrt(3.0) * PI);
    CHECK_NEAR(few / 0.05 * exp(8 / (3 * (double)0.05f)), 3 * sqrt(3.0) / (16 * sqrt(2.0)), 0.01,
               "pairs for small chi");
    double many = (double)bml_sample_pair_rate(9e5f, &qed) / (sqrt(3.0) * PI);
    CHECK_NEAR(many / pow(9e5, 2.0 / 3), 0.38, 0.005, "pairs for large chi");
}

/* ---- tables with tails, peaks and breaks ---- */
enum { NORMAL, CAUCHY, EXPONENTIAL, MIXTURE, STEPS, SHARP };
static void density(double *p, const double *x, const double *z, int n, void *user) {
    (void)z;
    for (int i = 0; i < n; i++) {
        switch (*(const int *)user) {
        case NORMAL: p[i] = exp(-0.5 * x[i] * x[i]); break;
        case CAUCHY: p[i] = 1 / (1 + x[i] * x[i]); break;
        case EXPONENTIAL: p[i] = exp(-x[i]); break;
        case STEPS: p[i] = x[i] < 0.3 ? 2 : 5; break;
        case SHARP: p[i] = exp(-1e10 * (x[i] - 50) * (x[i] - 50)) / 1e-5; break;
        default:
            p[i] = 0.5e5 * exp(-0.5e10 * (x[i] - 0.1234567) * (x[i] - 0.1234567)) +
                   0.5 * exp(-0.5 * (x[i] - 3) * (x[i] - 3));
        }
    }
}
static double normal(double x) {
    return 0.5 * erfc(-x / sqrt(2.0));
}
static double closed(double x, int kind) {
    switch (kind) {
    case NORMAL: return normal(x);
    case CAUCHY: return 0.5 + atan(x) / PI;
    case EXPONENTIAL: return -expm1(-x);
    case STEPS: return (x < 0.3 ? 2 * x : 0.6 + 5 * (x - 0.3)) / 4.1;
    case SHARP: return normal((x - 50) * sqrt(2.0) * 1e5);
    default: { /* on -5 ... 8 */
        double sum = 0.5 * normal((x - 0.1234567) * 1e5) + 0.5 * normal(x - 3) - 0.5 * normal(-8);
        return sum / (1 - 0.5 * normal(-8) - 0.5 * normal(-5));
    }
    }
}

static void test_table(int kind, bml_sample_table_config c, const char *name) {
    bml_sample_table *t = NULL;
    char why[BML_SAMPLE_MESSAGE];
    double worst = 0;
    c.density = density;
    c.user = &kind;
    int status = bml_sample_table_create(&t, &c, why);
    for (int i = 1; i < 20000 && !status; i++) {
        double u = i / 20000.0;
        double x = 0;
        double v = 0;
        bml_sample_table_inverse(t, &x, &u, 1);
        bml_sample_table_cdf(t, &v, NULL, &x, 1);
        worst = largest(worst, fabs(closed(x, kind) - u));
        worst = largest(worst, fabs(v - u));
    }
    double rounding = kind == SHARP ? 2e-10 : 2e-15; /* x itself: half an ulp of 50 times the density, 5.6e4 */
    CHECK(status == 0 && worst <= bml_sample_table_error(t) + rounding && bml_sample_table_error(t) <= c.tolerance,
          "table of %s: CDF wrong by %.2g, said %.2g, asked %.2g; %d intervals %s", name, worst,
          bml_sample_table_error(t), c.tolerance, bml_sample_table_intervals(t), why);
    bml_sample_table_free(t);
}

static void test_tables(void) {
    static const double at = 0.1234567;
    static const double step = 0.3;
    double infinity = HUGE_VAL;
    for (int k = 0; k < 2; k++) {
        double tolerance = k ? 1e-12 : 1e-10;
        bml_sample_table_config c = {.lower = -infinity, .upper = infinity, .tolerance = tolerance};
        test_table(NORMAL, c, "a normal, no bounds");
        test_table(CAUCHY, c, "a Cauchy");
        c.lower = 0;
        test_table(EXPONENTIAL, c, "an exponential, one bound");
        bml_sample_table_config s = {.upper = 1, .tolerance = tolerance, .breaks = &step, .n_breaks = 1};
        test_table(STEPS, s, "a step at a break");
    }
    bml_sample_table_config m = {.lower = -5, .upper = 8, .tolerance = 1e-7};
    test_table(MIXTURE, m, "0.5 N(0.1234567, 1e-5) + 0.5 N(3, 1), peak found");
    m.look = 1;
    m.centre = at;
    test_table(MIXTURE, m, "the same, with its centre");
    m.centre = 0;
    m.breaks = &at;
    m.n_breaks = 1;
    test_table(MIXTURE, m, "the same, with a break");
    bml_sample_table_config far = {.lower = -infinity, .upper = infinity, .tolerance = 1e-9, .centre = 50};
    test_table(SHARP, far, "a peak of 1e-5 at 50, with its centre");
}

/* ---- cells ---- */
static void hill(double *p, const double *x, const double *z, int n, void *user) {
    (void)user;
    for (int i = 0; i < n; i++) {
        double a = x[2 * i] - 0.4 - (z ? 0.2 * z[0] : 0);
        double b = x[2 * i + 1] - 0.5;
        p[i] = exp(-30 * (a * a - a * b + b * b));
    }
}
static double hill_at(double a, const void *p) {
    double x[2] = {a, ((const double *)p)[0]};
    double z = ((const double *)p)[1];
    double value;
    hill(&value, x, &z, 1, NULL);
    return value;
}
static double hill_row[2];
static double hill_over(double b, const void *p) {
    const double *edge = p;
    double q[2] = {b, hill_row[1]};
    return panels(hill_at, q, edge[0], edge[1], 1);
}

/* Total variation of n draws from the density in 20 x 20 bins, and what noise alone gives: sum sqrt(p (1-p)/(2 pi
   N)). */
static double total_variation(double *noise, const double *x, int n, double z) {
    static double count[400];
    double p[400];
    double whole = 0;
    double tv = 0;
    memset(count, 0, sizeof count);
    hill_row[1] = z;
    for (int i = 0; i < n; i++) {
        count[(int)(20 * x[2 * i]) * 20 + (int)(20 * x[2 * i + 1])]++;
    }
    for (int k = 0; k < 400; k++) {
        double edge[2] = {k / 20 / 20.0, (k / 20 + 1) / 20.0};
        p[k] = panels(hill_over, edge, k % 20 / 20.0, (k % 20 + 1) / 20.0, 1);
        whole += p[k];
    }
    *noise = 0;
    for (int k = 0; k < 400; k++) {
        tv += 0.5 * fabs(count[k] / n - p[k] / whole);
        *noise += sqrt(p[k] / whole / (2 * PI * n));
    }
    return tv;
}

static void test_cells(bml_sample_rng *rng) {
    static double x[2 * LARGE];
    static const double zero[2] = {0, 0};
    static const double one[2] = {1, 1};
    static const int nodes_z = 33;
    int n = quick ? 20000 : LARGE;
    char why[BML_SAMPLE_MESSAGE];
    double noise;
    bml_sample_cells *s = NULL;
    bml_sample_cells_config c = {.density = hill, .n_dim = 2, .lower = zero, .upper = one};
    int status = bml_sample_cells_create(&s, &c, why);
    CHECK(!status, "cells of a hill: %g boxes, total variation %.2g %s", bml_sample_cells_count(s),
          bml_sample_cells_error(s), why);
    status = bml_sample_cells_draw(s, x, (size_t)n, NULL, 0, rng);
    double tv = total_variation(&noise, x, n, 0);
    /* the noise of the noise is sqrt(0.36 sum p/(4 n)), 0.3/sqrt(n) */
    CHECK_LE(status ? 1e9 : tv, noise + 5 * 0.3 / sqrt(n) + bml_sample_cells_error(s), "  total variation of draws");
    printf("      %.5f, noise %.5f\n", tv, noise);
    bml_sample_cells_free(s);
    c.n_z = 1;
    c.z_lower = zero;
    c.z_upper = one;
    c.z_nodes = &nodes_z;
    status = bml_sample_cells_create(&s, &c, why);
    CHECK(!status, "cells of a hill that moves with a parameter: %g boxes %s", bml_sample_cells_count(s), why);
    double z = 0.515625; /* between nodes 16 and 17 */
    status = bml_sample_cells_draw(s, x, (size_t)n, &z, 1, rng);
    tv = total_variation(&noise, x, n, z);
    /* linear between nodes: (0.2/32)^2/8 of the second derivative, 30^2 x 0.07 */
    CHECK_LE(status ? 1e9 : tv, noise + 5 * 0.3 / sqrt(n) + bml_sample_cells_error(s) + 5e-4, "  between its nodes");
    z = 1.5;
    CHECK(bml_sample_cells_draw(s, x, 1, &z, 1, rng) == BML_SAMPLE_BAD_ARGUMENT, "  a parameter out of range");
    bml_sample_cells_free(s);
    c.max_cells = 100;
    c.n_z = 0;
    status = bml_sample_cells_create(&s, &c, why);
    CHECK(status == BML_SAMPLE_NOT_CONVERGED && s, "too few cells: %s", why);
    bml_sample_cells_free(s);
    c.n_dim = 5;
    CHECK(bml_sample_cells_create(&s, &c, why) == BML_SAMPLE_BAD_ARGUMENT && !s && strstr(why, "n_dim"), "refused: %s",
          why);
}

/* ---- arrays of structs ---- */
static void test_strides(void) {
    enum { N = 700 };
    typedef struct particle {
        float x, gamma, eps, y, u, out, rest;
    } particle;
    static particle p[N];
    static float g[N];
    static float e[N];
    static float u[N];
    static float a[N];
    static float r[N];
    int same = 1;
    bml_sample_rng rng;
    bml_sample_rng_init(&rng, 5, 5);
    for (int i = 0; i < N; i++) {
        p[i].gamma = g[i] = (float)pow(10, 6 * bml_sample_rng_uniform(&rng));
        p[i].eps = e[i] = (float)pow(10, -9 + 6 * bml_sample_rng_uniform(&rng));
        p[i].u = u[i] = (float)bml_sample_rng_uniform(&rng);
    }
    bml_sample_photonsf flat = {.n = N, .gamma = g, .eps0 = e, .u = u, .rest = r};
    bml_sample_photonsf tall = {.n = N, .gamma = &p[0].gamma, .eps0 = &p[0].eps, .u = &p[0].u, .rest = &p[0].rest};
    tall.gamma_stride = tall.eps0_stride = tall.u_stride = tall.rest_stride = tall.energy_stride = 7;
    int status = bml_sample_comptonf(a, &flat, NULL);
    status |= bml_sample_comptonf(&p[0].out, &tall, NULL);
    for (int i = 0; i < N; i++) {
        same &= p[i].out == a[i] && p[i].rest == r[i] && p[i].x == 0 && p[i].y == 0;
    }
    CHECK(!status && same, "members of structs give what arrays give, and their neighbours stay");
}

/* ---- objects: what a failure leaves ---- */
static int make_all(char *why) {
    static const double weight[3] = {1, 2, 3};
    static const double sample[4] = {1, 2, 3, 4};
    static const float array[] = {20260, 1, 1, 0, 1, 2, 0, 1, .5f, .25f, 1, 2, 1, 2, .5f};
    static const double zero[2] = {0, 0};
    static const double one[2] = {1, 1};
    static const int two = 2;
    static int kind = EXPONENTIAL;
    bml_sample_table *t = NULL;
    bml_sample_table *s = NULL;
    bml_sample_grid *g = NULL;
    bml_sample_alias *a = NULL;
    bml_sample_net *n = NULL;
    bml_sample_cells *c = NULL;
    bml_sample_table_config tc = {.density = density, .user = &kind, .upper = HUGE_VAL, .look = 1};
    bml_sample_grid_config gc = {.density = density, .user = &kind, .upper = 1, .n_z = 1};
    gc.z_lower = zero;
    gc.z_upper = one;
    gc.z_nodes = &two;
    bml_sample_cells_config cc = {.density = hill, .n_dim = 2, .lower = zero, .upper = one, .max_cells = 4096};
    cc.tolerance = 0.1;
    static bml_sample_qed_nodes q;
    int status = bml_sample_table_create(&t, &tc, why);
    if (!status) status = bml_sample_table_from_samples(&s, sample, 4, 0, why);
    if (!status) status = bml_sample_grid_create(&g, &gc, why);
    if (!status) status = bml_sample_alias_create(&a, weight, 3, why);
    if (!status) status = bml_sample_net_create(&n, array, 15, why);
    if (!status) status = bml_sample_cells_create(&c, &cc, why);
    bml_sample_divergence d;
    if (!status) status = bml_sample_histogram(&d, weight, one, 2);
    if (status == BML_SAMPLE_BAD_ARGUMENT) status = BML_SAMPLE_OK; /* its shares sum to 2: refused before any work */
    if (!status && fail_at) status = bml_sample_qed_table(&q);
    bml_sample_table_free(t);
    bml_sample_table_free(s);
    bml_sample_grid_free(g);
    bml_sample_alias_free(a);
    bml_sample_net_free(n);
    bml_sample_cells_free(c);
    return status;
}

static void test_memory(void) {
    char why[BML_SAMPLE_MESSAGE] = "x";
    calls = live = fail_at = 0;
    int status = make_all(why);
    long total = calls;
    int wrong = 0;
    CHECK(!status && !why[0] && !live, "all objects are made and freed: %ld allocations", total);
    for (long k = 1; k <= total; k++) {
        calls = 0;
        fail_at = k;
        int got = make_all(why);
        wrong += got != BML_SAMPLE_NO_MEMORY || live != 0 || (why[0] && !strstr(why, "out of memory"));
    }
    fail_at = 0;
    CHECK(!wrong, "each allocation that fails is NO_MEMORY, says so, and leaves nothing (%d do not)", wrong);
    CHECK(make_all(why) == 0 && !live, "and afterwards all is made again");
}

static void test_refusals(void) {
    char why[BML_SAMPLE_MESSAGE];
    double s[4] = {1, 2, 3, 4};
    double bad = -1;
    float no[3] = {1, 2, 3};
    int kind = NORMAL;
    bml_sample_table *t = (bml_sample_table *)s;
    bml_sample_grid *g = (bml_sample_grid *)s;
    bml_sample_alias *a = (bml_sample_alias *)s;
    bml_sample_net *n = (bml_sample_net *)s;
    bml_sample_cells *c = (bml_sample_cells *)s;
    CHECK(bml_sample_table_from_samples(&t, s, 4, -1, why) && !t && why[0], "refused, NULL: %s", why);
    bml_sample_table_config tc = {.density = density, .user = &kind, .upper = 1, .tolerance = 0.5};
    t = (bml_sample_table *)s;
    CHECK(bml_sample_table_create(&t, &tc, why) && !t && strstr(why, "tolerance = 0.5"), "refused, NULL: %s", why);
    bml_sample_grid_config gc = {.density = density, .user = &kind, .upper = 1, .n_z = 9};
    CHECK(bml_sample_grid_create(&g, &gc, why) && !g && strstr(why, "n_z = 9"), "refused, NULL: %s", why);
    CHECK(bml_sample_alias_create(&a, &bad, 1, why) && !a && strstr(why, "weights[0] = -1"), "refused, NULL: %s", why);
    CHECK(bml_sample_net_create(&n, no, 3, why) && !n && why[0], "refused, NULL: %s", why);
    CHECK(bml_sample_cells_create(&c, NULL, why) && !c && why[0], "refused, NULL: %s", why);
}

/* In a locale with a decimal comma the C text still compiles. */
static void test_locale(void) {
    static const float array[] = {20260, 1, 1, 0, 1, 2, 0, 1, .5f, .25f, 1, 2, 1, 2, .5f};
    static const char *names[4] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    char plain[600];
    char text[600];
    const char *set = NULL;
    bml_sample_net *net = NULL;
    bml_sample_net_create(&net, array, 15, NULL);
    bml_sample_net_write(plain, sizeof plain, net, "w");
    for (int i = 0; i < 4 && !set; i++) {
        set = setlocale(LC_NUMERIC, names[i]);
    }
    if (!set) {
        SKIP("no locale with a decimal comma here");
    } else {
        bml_sample_net_write(text, sizeof text, net, "w");
        CHECK(!strcmp(plain, text), "the C writer in %s", set);
    }
    setlocale(LC_NUMERIC, "C");
    CHECK(strstr(plain, "2.02600000e+04f, 1.00000000e+00f") != NULL, "C text of a net: points and digits");
    bml_sample_net_free(net);
}

int main(int argc, char **argv) {
    unsigned long seed = check_seed(argc, argv);
    quick = getenv("BML_CHECK_QUICK") != NULL;
    bml_sample_rng rng;
    bml_sample_rng_init(&rng, seed, 2);
    bml_sample_compton_table(&nodes);
    bml_sample_thermal_table(&thermal);
    bml_sample_qed_table(&qed);
    test_small_net();
    test_inline(&rng);
    test_low_gamma(&rng);
    test_conservation(&rng);
    test_polarisation(&rng);
    test_thermal(&rng);
    test_strong_fields();
    test_tables();
    test_cells(&rng);
    test_strides();
    test_memory();
    test_refusals();
    test_locale();
    return check_done();
}
