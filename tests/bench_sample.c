/* bench_sample.c: what a scattered photon costs, its random number and its energy included. One line each: name value
   unit, and the same in units of one scalar expf of this run, which holds where times do not. Medians of repeats that
   take turns, on one core.
   Beside the sampler's three methods stand the usual ones: rejection from Jones' kernel; two-body scattering in the
   rest frame, with its own rejections; and a network of the published shape, 3-16-16-16-1 with tanh (Charles & Chen
   2024), with tanhf of the C library and, generously, with the batched tanh of this header (its weights do not matter
   for its speed: random ones). */
#include "bench.h"
#include <stdio.h>
#include <string.h>
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

enum { N = 1 << 17, REPEATS = 9, SLOW = 1 << 14 };

static float gamma_[N], eps0[N], energy[N], rest[N];
static double gamma_d[N], eps0_d[N], energy_d[N];
static bml_sample_compton_nodes nodes;
static bml_sample_rng rng;
static float w_in[16][3], w_hidden[2][16][16], w_out[16], w_bias[4][16];

static int chain(void) { /* expf in a chain of dependent calls */
    volatile float out;
    float x = 0.5f;
    for (int i = 0; i < N; i++)
        x = expf(-x);
    out = x;
    (void)out;
    return N;
}

static int compton(int method, int same, int n) {
    bml_sample_photonsf how = {.n = (size_t)n,
                               .gamma = gamma_,
                               .eps0 = eps0,
                               .one_gamma = same,
                               .one_eps0 = same,
                               .method = method,
                               .nodes = &nodes};
    if (bml_sample_comptonf(energy, &how, &rng)) exit(1);
    return n;
}
static int net(void) {
    return compton(BML_SAMPLE_NET, 0, N);
}
static int table(void) {
    return compton(BML_SAMPLE_TABLE, 0, N);
}
static int exact(void) {
    return compton(BML_SAMPLE_EXACT, 0, SLOW);
}
static int net_same(void) {
    return compton(BML_SAMPLE_NET, 1, N);
}
static int table_same(void) {
    return compton(BML_SAMPLE_TABLE, 1, N);
}
static int exact_same(void) {
    return compton(BML_SAMPLE_EXACT, 1, SLOW);
}

static int doubles(int method, int n) {
    bml_sample_photons how = {.n = (size_t)n, .gamma = gamma_d, .eps0 = eps0_d, .method = method, .nodes = &nodes};
    if (bml_sample_compton(energy_d, &how, &rng)) exit(1);
    return n;
}
static int net_double(void) {
    return doubles(BML_SAMPLE_NET, N);
}
static int table_double(void) {
    return doubles(BML_SAMPLE_TABLE, N);
}
static int exact_double(void) {
    return doubles(BML_SAMPLE_EXACT, SLOW);
}

static int one_by_one(void) {
    for (int i = 0; i < SLOW; i++) {
        bml_sample_photonsf how = {.n = 1, .gamma = gamma_ + i, .eps0 = eps0 + i};
        if (bml_sample_comptonf(energy + i, &how, &rng)) exit(1);
    }
    return SLOW;
}

/* Rejection from the kernel, even proposals in ln(1 + bq): the flattest simple coordinate. f/w, the density there, is
   at most 1 for b < 1 and (1 + b/8) bounded by its maximum over q, which is found beforehand on a grid in b. */
static float bound[64];
static double per_l(double l, double b) {
    double z = expm1(l);
    double q = z / b;
    return q > 0 && q < 1 ? (2 * q * log(q) + (1 + 2 * q) * (1 - q) + z * z * (1 - q) / (2 * (1 + z))) / (1 + z)
                          : q <= 0;
}
static void bounds(void) {
    for (int k = 0; k < 64; k++)
        for (int j = 0; j < 2; j++)
            for (int i = 0; i <= 200; i++) {
                double b = pow(10, -13 + 27.0 * (k + j) / 64);
                double v = per_l(log1p(b) * i / 200, b) * 1.02;
                if (v > (double)bound[k]) bound[k] = (float)v;
            }
}
static int rejection(void) {
    for (int i = 0; i < SLOW; i++) {
        double g = (double)gamma_[i];
        double e = (double)eps0[i];
        double b = 4 * g * e;
        double L = log1p(b);
        double from = log1p(e / (g - e));
        double top = (double)bound[(int)((log10(b) + 13) / 27 * 64)];
        if (4 * g * (g - e) < 4) top = per_l(from, b); /* only the end is left, where f falls */
        double l;
        do
            l = from + (L - from) * bml_sample_rng_uniform(&rng);
        while (top * bml_sample_rng_uniform(&rng) > per_l(l, b));
        energy[i] = (float)(-expm1(-l) * g);
    }
    return SLOW;
}

static int two_body(void) {
    double axis[3] = {0, 0, 1};
    double out[3];
    for (int i = 0; i < SLOW; i++) {
        double g = (double)gamma_[i];
        double e = (double)eps0[i];
        double beta = sqrt(1 - 1 / (g * g));
        double mu;
        double photon[3] = {0, 0, 0};
        bml_sample_collision c = {g, axis, e, photon};
        double most = (1 + beta) * bml_sample_klein_nishina(g * e * (1 + beta)); /* x sigma(x) rises with x */
        do
            mu = 2 * bml_sample_rng_uniform(&rng) - 1;
        while (most * bml_sample_rng_uniform(&rng) >
               (1 - beta * mu) * bml_sample_klein_nishina(g * e * (1 - beta * mu)));
        photon[0] = sqrt(1 - mu * mu);
        photon[2] = mu;
        double eps;
        if (bml_sample_scatter(&eps, out, &c, &rng)) exit(1);
        energy[i] = (float)eps;
    }
    return SLOW;
}

static int published(void) {
    for (int i = 0; i < SLOW; i++) {
        float x[3] = {(float)bml_sample_rng_uniform(&rng), log10f(gamma_[i]), log10f(eps0[i])};
        float a[16];
        float b[16];
        float y = w_bias[3][0];
        float four = 4 * gamma_[i] * eps0[i];
        float top = gamma_[i] * four / (1 + four);
        for (int k = 0; k < 16; k++)
            a[k] = tanhf(w_bias[0][k] + w_in[k][0] * x[0] + w_in[k][1] * x[1] + w_in[k][2] * x[2]);
        for (int l = 0; l < 2; l++) {
            for (int k = 0; k < 16; k++) {
                b[k] = w_bias[l + 1][k];
                for (int j = 0; j < 16; j++)
                    b[k] += w_hidden[l][k][j] * a[j];
            }
            for (int k = 0; k < 16; k++)
                a[k] = tanhf(b[k]);
        }
        for (int k = 0; k < 16; k++)
            y += w_out[k] * a[k];
        y = y < -1 ? -1 : y > 1 ? 1 : y;
        energy[i] = (1 + tanhf(5 * y) / 0.99990920f) / 2 * (top - eps0[i]) + eps0[i];
    }
    return SLOW;
}

/* The same in batches, with this header's generator, logarithm and tanh, so that loops run in vector registers. */
static int published_batched(void) {
    static float a[16][256];
    static float b[16][256];
    static float u[256];
    static float lg[256];
    static float le[256];
    static uint32_t words[256];
    for (int first = 0; first < N; first += 256) {
        bml_sample__words(words, 64, &rng);
        for (int i = 0; i < 256; i++)
            u[i] = ((float)(int32_t)(words[i] >> 1) + 0.5f) / 2147483648.0f;
        for (int i = 0; i < 256; i++) {
            lg[i] = 0.434294482f * bml_sample__logf(gamma_[first + i]);
            le[i] = 0.434294482f * bml_sample__logf(eps0[first + i]);
        }
        for (int k = 0; k < 16; k++)
            for (int i = 0; i < 256; i++)
                a[k][i] = bml_sample__tanhf(w_bias[0][k] + w_in[k][0] * u[i] + w_in[k][1] * lg[i] + w_in[k][2] * le[i]);
        for (int l = 0; l < 2; l++) {
            for (int k = 0; k < 16; k++) {
                const float *w = w_hidden[l][k];
                for (int i = 0; i < 256; i++)
                    b[k][i] = w_bias[l + 1][k] + w[0] * a[0][i] + w[1] * a[1][i] + w[2] * a[2][i] + w[3] * a[3][i] +
                              w[4] * a[4][i] + w[5] * a[5][i] + w[6] * a[6][i] + w[7] * a[7][i];
                for (int i = 0; i < 256; i++)
                    b[k][i] += w[8] * a[8][i] + w[9] * a[9][i] + w[10] * a[10][i] + w[11] * a[11][i] +
                               w[12] * a[12][i] + w[13] * a[13][i] + w[14] * a[14][i] + w[15] * a[15][i];
            }
            for (int k = 0; k < 16; k++)
                for (int i = 0; i < 256; i++)
                    a[k][i] = bml_sample__tanhf(b[k][i]);
        }
        for (int i = 0; i < 256; i++)
            u[i] = w_bias[3][0];
        for (int k = 0; k < 16; k++)
            for (int i = 0; i < 256; i++)
                u[i] += w_out[k] * a[k][i];
        for (int i = 0; i < 256; i++) {
            float g = gamma_[first + i];
            float e = eps0[first + i];
            float four = 4 * g * e;
            float top = g * four / (1 + four);
            float y = u[i] < -1 ? -1 : u[i] > 1 ? 1 : u[i];
            energy[first + i] = (1 + bml_sample__tanhf(5 * y) / 0.99990920f) / 2 * (top - e) + e;
        }
    }
    return N;
}

static int philox(void) {
    static double u[N];
    bml_sample_rng_fill(u, N, &rng);
    return N;
}

int main(void) {
    static const struct {
        const char *name;
        int (*run)(void);
    } job[] = {{"expf", chain},
               {"net", net},
               {"table", table},
               {"exact", exact},
               {"net_one_pair", net_same},
               {"table_one_pair", table_same},
               {"exact_one_pair", exact_same},
               {"net_double", net_double},
               {"table_double", table_double},
               {"exact_double", exact_double},
               {"net_single_calls", one_by_one},
               {"rejection", rejection},
               {"two_body", two_body},
               {"published_net", published},
               {"published_net_batched", published_batched},
               {"uniform_double", philox}};
    enum { JOBS = sizeof job / sizeof *job };
    static double ns[JOBS][REPEATS];
    double median[JOBS];
    bml_sample_rng_init(&rng, 1, 0);
    for (int i = 0; i < N; i++) {
        do {
            gamma_d[i] = (double)(gamma_[i] = (float)pow(10, 11 * bml_sample_rng_uniform(&rng)));
            eps0_d[i] = (double)(eps0[i] = (float)pow(10, -13 + 15 * bml_sample_rng_uniform(&rng)));
        } while (!bml_sample__in_domain(gamma_d[i], eps0_d[i]) || gamma_d[i] > 1e11);
    }
    gamma_[0] = 1e4f;
    eps0[0] = 1e-4f;
    gamma_d[0] = 1e4;
    eps0_d[0] = 1e-4;
    for (int k = 0; k < 16; k++) {
        w_out[k] = (float)bml_sample_rng_normal(&rng) * 0.2f;
        for (int j = 0; j < 3; j++)
            w_in[k][j] = (float)bml_sample_rng_normal(&rng) * 0.2f;
        for (int j = 0; j < 4; j++)
            w_bias[j][k] = (float)bml_sample_rng_normal(&rng) * 0.2f;
        for (int j = 0; j < 16; j++) {
            w_hidden[0][k][j] = (float)bml_sample_rng_normal(&rng) * 0.2f;
            w_hidden[1][k][j] = -w_hidden[0][k][j];
        }
    }
    double t = bench_seconds();
    bml_sample_compton_table(&nodes);
    printf("sample_table_init %.2f ms\n", (bench_seconds() - t) * 1e3);
    bounds();
    for (int r = 0; r < REPEATS; r++)
        for (int j = 0; j < JOBS; j++) {
            t = bench_seconds();
            const int n = job[j].run();
            ns[j][r] = (bench_seconds() - t) * 1e9 / n;
        }
    for (int j = 0; j < JOBS; j++)
        median[j] = bench_median(ns[j], REPEATS);
    printf("sample_expf %.2f ns\n", median[0]);
    for (int j = 1; j < JOBS; j++) {
        printf("sample_%s %.2f ns, %.3g per second\n", job[j].name, median[j], 1e9 / median[j]);
        printf("sample_%s_ratio %.3f expf\n", job[j].name, median[j] / median[0]);
    }
    return energy[1] + rest[0] + (float)energy_d[1] >= 0 ? 0 : 1;
}
