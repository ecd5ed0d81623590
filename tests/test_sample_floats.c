/* test_sample_floats.c: the small logarithms and exponentials inside bml_sample.h against the C library in double, one
   by one and in loops that a compiler turns into vectors. tests/headers.sh compiles it under -Ofast too: the bounds are
   the same there. */
#include "check.h"
#include <float.h>
#include <stdint.h>
#include <string.h>
#include "bml_sample.h"

enum { BLOCK = 4096 };

typedef void (*loop)(float *y, float *rest, const float *x, int n);

static void logs(float *y, float *rest, const float *x, int n) {
    for (int i = 0; i < n; i++) {
        y[i] = bml_sample__logf(x[i]);
        rest[i] = 0;
    }
}
static void log1ps(float *y, float *rest, const float *x, int n) {
    for (int i = 0; i < n; i++) {
        y[i] = bml_sample__log1pf(x[i]);
        rest[i] = 0;
    }
}
static void log1ps_alone(float *y, float *rest, const float *x, int n) {
    for (int i = 0; i < n; i++) {
        y[i] = bml_sample__log1p_alone(&rest[i], 4 * x[i], 0.25f);
    }
}
static void exps(float *y, float *rest, const float *x, int n) {
    for (int i = 0; i < n; i++) {
        y[i] = bml_sample__expf(&rest[i], x[i]);
    }
}
static void exps_alone(float *y, float *rest, const float *x, int n) {
    for (int i = 0; i < n; i++) {
        y[i] = bml_sample__exp_alone(&rest[i], x[i]);
    }
}
static void tanhs(float *y, float *rest, const float *x, int n) {
    for (int i = 0; i < n; i++) {
        float below;
        float above = bml_sample__tanh_parts(&below, x[i]);
        y[i] = above / below;
        above = bml_sample__tanh_parts(&below, -x[i]);
        rest[i] = above / below;
    }
}
/* Sums and products of the caller's around it: what a compiler may mix them with. */
static void exps_of_products(float *y, float *rest, const float *x, int n) {
    for (int i = 0; i < n; i++) {
        y[i] = 2 * bml_sample__expf(&rest[i], 4 * (x[i] * 0.25f));
        y[i] *= 0.5f;
    }
}

static double log_error(double got, double rest, double x) {
    (void)rest;
    double want = log(x);
    return fabs(got - want) / fmax(fabs(want), 1e-30); /* the logarithm of 1 is 0, and must be */
}
static double log1p_error(double got, double rest, double x) {
    (void)rest;
    return fabs(got / log1p(x) - 1);
}
static double log1p_plus_error(double got, double rest, double x) {
    return fmax(log1p_error(got, 0, x), fabs(rest / (4 + log1p(x)) - 1));
}
static double exp_error(double got, double rest, double x) {
    return fmax(fabs(got / exp(-x) - 1), fabs(rest / -expm1(-x) - 1));
}
static double tanh_error(double got, double rest, double x) {
    return fmax(fabs(got - tanh(x)), fabs(rest + tanh(x)));
}

typedef struct function {
    const char *name;
    loop run;
    double (*error)(double got, double rest, double x);
    float from;
    float to;
    double bound;
} function;

/* The worst error over all floats of the range, thinned; n at once. */
static double worst_error(const function *f, uint32_t thin, int n) {
    static float x[BLOCK];
    static float y[BLOCK];
    static float rest[BLOCK];
    double worst = 0;
    uint32_t bits;
    uint32_t last;
    memcpy(&bits, &f->from, sizeof bits);
    memcpy(&last, &f->to, sizeof last);
    while (bits < last) {
        int some = 0;
        for (; some < n && bits < last; bits += thin) {
            memcpy(&x[some++], &bits, sizeof bits);
        }
        f->run(y, rest, x, some);
        for (int i = 0; i < some; i++) {
            double error = f->error((double)y[i], (double)rest[i], (double)x[i]);
            if (!(error <= worst)) worst = error;
        }
    }
    return worst;
}

int main(void) {
    /* a range that is reduced in two steps: 1/2 + 1/2 + polynomial; the logarithms' last sum and polynomial the same */
    const double few = 2 * (double)FLT_EPSILON;
    const function tested[] = {
        {"log(x)", logs, log_error, FLT_MIN, FLT_MAX, few},
        {"log(1+x)", log1ps, log1p_error, FLT_MIN, 1e20f, few},
        {"log(1+x) for one photon", log1ps_alone, log1p_plus_error, FLT_MIN, 1e20f, few},
        {"exp(-x) and 1 - exp(-x)", exps, exp_error, 1e-30f, 80, few},
        {"exp(-x) and 1 - exp(-x) for one photon", exps_alone, exp_error, 1e-30f, 80, few},
        {"exp(-x) inside a product", exps_of_products, exp_error, 1e-30f, 80, few},
        {"tanh(x)", tanhs, tanh_error, 1e-30f, 100, 2e-6},
    };
    const uint32_t thin = getenv("BML_CHECK_LONG") ? 101 : 997;
    for (size_t k = 0; k < sizeof tested / sizeof *tested; k++) {
        double side_by_side = worst_error(&tested[k], thin, BLOCK);
        double alone = worst_error(&tested[k], 8 * thin + 1, 1);
        double worst = fmax(side_by_side, alone);
        /* told by its bits: fast mathematics knows no NaN */
        uint64_t bits;
        memcpy(&bits, &worst, sizeof bits);
        CHECK(worst <= tested[k].bound && (bits >> 52 & 0x7FF) != 0x7FF, "%s: %.3g, must be <= %.3g", tested[k].name,
              worst, tested[k].bound);
    }
    return check_done();
}
