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
#undef BML_SAMPLE_IMPLEMENTED
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
    for (int k = 0; k < 64; k++) {
        for (int j = 0; j < 2; j++) {
            for (int i = 0; i <= 200; i++) {
                double b = pow(10, -13 + 27.0 * (k + j) / 64);
                double v = per_l(log1p(b) * i / 200, b) * 1.02;
                if (v > (double)bound[k]) bound[k] = (float)v;
            }
        }
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
        for (int k = 0; k < 16; k++) {
            a[k] = tanhf(w_bias[0][k] + w_in[k][0] * x[0] + w_in[k][1] * x[1] + w_in[k][2] * x[2]);
        }
        for (int l = 0; l < 2; l++) {
            for (int k = 0; k < 16; k++) {
                b[k] = w_bias[l + 1][k];
                for (int j = 0; j < 16; j++) {
                    b[k] += w_hidden[l][k][j] * a[j];
                }
            }
            for (int k = 0; k < 16; k++) {
                a[k] = tanhf(b[k]);
            }
        }
        for (int k = 0; k < 16; k++) {
            y += w_out[k] * a[k];
        }
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
        for (int i = 0; i < 256; i++) {
            u[i] = ((float)(int32_t)(words[i] >> 1) + 0.5f) / 2147483648.0f;
        }
        for (int i = 0; i < 256; i++) {
            lg[i] = 0.434294482f * bml_sample__logf(gamma_[first + i]);
            le[i] = 0.434294482f * bml_sample__logf(eps0[first + i]);
        }
        for (int k = 0; k < 16; k++) {
            for (int i = 0; i < 256; i++) {
                a[k][i] = bml_sample__tanhf(w_bias[0][k] + w_in[k][0] * u[i] + w_in[k][1] * lg[i] + w_in[k][2] * le[i]);
            }
        }
        for (int l = 0; l < 2; l++) {
            for (int k = 0; k < 16; k++) {
                const float *w = w_hidden[l][k];
                for (int i = 0; i < 256; i++) {
                    b[k][i] = w_bias[l + 1][k] + w[0] * a[0][i] + w[1] * a[1][i] + w[2] * a[2][i] + w[3] * a[3][i] +
                              w[4] * a[4][i] + w[5] * a[5][i] + w[6] * a[6][i] + w[7] * a[7][i];
                }
                for (int i = 0; i < 256; i++) {
                    b[k][i] += w[8] * a[8][i] + w[9] * a[9][i] + w[10] * a[10][i] + w[11] * a[11][i] +
                               w[12] * a[12][i] + w[13] * a[13][i] + w[14] * a[14][i] + w[15] * a[15][i];
                }
            }
            for (int k = 0; k < 16; k++) {
                for (int i = 0; i < 256; i++) {
                    a[k][i] = bml_sample__tanhf(b[k][i]);
                }
            }
        }
        for (int i = 0; i < 256; i++) {
            u[i] = w_bias[3][0];
        }
        for (int k = 0; k < 16; k++) {
            for (int i = 0; i < 256; i++) {
                u[i] += w_out[k] * a[k][i];
            }
        }
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

/* ---- inside a loop of the caller's own, one photon at a time; the uniform number is the caller's too ---- */
static float uniform_[N];
static int inline_photons(const bml_sample_compton_nodes *table) {
    for (int i = 0; i < N; i++) {
        energy[i] = bml_sample_compton_energy(gamma_[i], eps0[i], uniform_[i], table);
    }
    return N;
}
static int net_inline(void) {
    return inline_photons(NULL);
}
static int table_inline(void) {
    return inline_photons(&nodes);
}

/* ---- a step in thermal matter: by this header, and by the way of Canfield, Howard & Liang (1987) as grmonty takes it
   (Dolence et al. 2009, ApJS 184, 387): electrons from chi-square distributions by rejection, the cosine by a root, the
   cross section by rejection, the recoil by rejection from a constant; with this header's generator ---- */
static bml_sample_thermal_nodes thermal;
static float theta_now;
static const double soft = 1e-3;

static int step(void) {
    bml_sample_medium medium = {theta_now, &thermal};
    double photon[3] = {0, 0, 1};
    for (int i = 0; i < SLOW; i++) {
        bml_sample_scattered after;
        bml_sample_thermal_step(&after, NULL, &medium, soft, photon, &rng);
        energy_d[i] = after.eps;
    }
    return SLOW;
}

static double canfield_gamma(double theta) {
    double w3 = sqrt(3.141592653589793) / 4;
    double w4 = sqrt(0.5 * theta) / 2;
    double w5 = 3 * sqrt(3.141592653589793) * theta / 8;
    double w6 = theta * sqrt(0.5 * theta);
    double all = w3 + w4 + w5 + w6;
    for (;;) {
        double u = all * bml_sample_rng_uniform(&rng);
        int dof = 6;
        if (u < w3) {
            dof = 3;
        } else if (u < w3 + w4) {
            dof = 4;
        } else if (u < w3 + w4 + w5) {
            dof = 5;
        }
        double y = sqrt(bml_sample_rng_gamma(&rng, dof));
        double prob = sqrt(1 + 0.5 * theta * y * y) / (1 + y * sqrt(0.5 * theta));
        if (bml_sample_rng_uniform(&rng) < prob) return 1 + theta * y * y;
    }
}

/* Energy after, in the rest frame: uniform proposals (grmonty: sample_klein_nishina). */
static double canfield_recoil(double k0) {
    double least = k0 / (1 + 2 * k0);
    double most = 2 * (1 + 2 * k0 + 2 * k0 * k0) / (k0 * k0 * (1 + 2 * k0));
    for (;;) {
        double k = least + (k0 - least) * bml_sample_rng_uniform(&rng);
        double ch = 1 + 1 / k0 - 1 / k;
        double value = (k0 / k + k / k0 - 1 + ch * ch) / (k0 * k0);
        if (most * bml_sample_rng_uniform(&rng) < value) return k;
    }
}

static int canfield(void) {
    double theta = (double)theta_now;
    double photon[3] = {0, 0, 1};
    for (int i = 0; i < SLOW; i++) {
        double g;
        double mu;
        double x;
        do {
            g = canfield_gamma(theta);
            double beta = sqrt(1 - 1 / (g * g));
            double det = 1 + 2 * beta + beta * beta - 4 * beta * bml_sample_rng_uniform(&rng);
            mu = (1 - sqrt(det)) / beta;
            x = g * (1 - beta * mu) * soft;
        } while (bml_sample_rng_uniform(&rng) >= (x < 1e-4 ? 1 - 2 * x : bml_sample_klein_nishina(x)));
        double sine = sqrt(1 - mu * mu);
        double phi = 6.283185307179586 * bml_sample_rng_uniform(&rng);
        double axis[3] = {sine * cos(phi), sine * sin(phi), mu};
        bml_sample_collision hit = {g, axis, soft, photon};
        bml_sample__encounter e;
        bml_sample__encounter_of(&e, &hit);
        double k = canfield_recoil(x);
        bml_sample_scattered after;
        bml_sample__scattered(&after, &e, (x / k - 1) / x, 6.283185307179586 * bml_sample_rng_uniform(&rng));
        energy_d[i] = after.eps;
    }
    return SLOW;
}
static int step_002(void) {
    theta_now = 0.02f;
    return step();
}
static int step_01(void) {
    theta_now = 0.1f;
    return step();
}
static int step_4(void) {
    theta_now = 4;
    return step();
}
static int canfield_002(void) {
    theta_now = 0.02f;
    return canfield();
}
static int canfield_01(void) {
    theta_now = 0.1f;
    return canfield();
}
static int canfield_4(void) {
    theta_now = 4;
    return canfield();
}

static int thermal_electrons(void) {
    bml_sample_thermal_electrons(energy_d, N, 0.3, &rng);
    return N;
}
static int normals(void) {
    bml_sample_rng_normals(energy_d, N, &rng);
    return N;
}

/* ---- tables and cells ---- */
static bml_sample_table *normal_table;
static bml_sample_cells *hill_cells;
static void normal_density(double *p, const double *x, const double *z, int n, void *user) {
    (void)z;
    (void)user;
    for (int i = 0; i < n; i++) {
        p[i] = exp(-0.5 * x[i] * x[i]);
    }
}
static void hill_density(double *p, const double *x, const double *z, int n, void *user) {
    (void)z;
    (void)user;
    for (int i = 0; i < n; i++) {
        p[i] = exp(-30 * ((x[2 * i] - 0.4) * (x[2 * i] - 0.4) + (x[2 * i + 1] - 0.5) * (x[2 * i + 1] - 0.5)));
    }
}
static int draw_table(void) {
    bml_sample_table_draw(normal_table, energy_d, N, &rng);
    return N;
}
static int draw_cells(void) {
    bml_sample_cells_draw(hill_cells, energy_d, N / 2, NULL, 0, &rng);
    return N / 2;
}

/* Set-up times and sizes. SciPy's NumericalInversePolynomial (UNU.RAN's PINV, order 5) needs 124 intervals for this
   normal at 1e-10 and 252 at 1e-12. */
static void set_up(void) {
    static const double zero[2] = {0, 0};
    static const double one[2] = {1, 1};
    for (int k = 0; k < 3; k++) {
        bml_sample_table_config c = {.density = normal_density, .lower = -HUGE_VAL, .upper = HUGE_VAL};
        c.tolerance = k == 1 ? 1e-12 : 1e-10;
        c.look = k < 2;
        bml_sample_table *t;
        double start = bench_seconds();
        if (bml_sample_table_create(&t, &c, NULL)) exit(1);
        printf("sample_table_%g%s %d intervals, %.3f ms\n", c.tolerance, k < 2 ? "" : "_looked_at",
               bml_sample_table_intervals(t), (bench_seconds() - start) * 1e3);
        if (k == 0) {
            normal_table = t;
        } else {
            bml_sample_table_free(t);
        }
    }
    bml_sample_cells_config c = {.density = hill_density, .n_dim = 2, .lower = zero, .upper = one};
    double start = bench_seconds();
    if (bml_sample_cells_create(&hill_cells, &c, NULL)) exit(1);
    printf("sample_cells %g boxes, %.1f ms, total variation %.2g\n", bml_sample_cells_count(hill_cells),
           (bench_seconds() - start) * 1e3, bml_sample_cells_error(hill_cells));
    start = bench_seconds();
    bml_sample_thermal_table(&thermal);
    printf("sample_thermal_table %.1f ms\n", (bench_seconds() - start) * 1e3);
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
               {"net_inline", net_inline},
               {"table_inline", table_inline},
               {"thermal_step_0.02", step_002},
               {"thermal_step_0.1", step_01},
               {"thermal_step_4", step_4},
               {"canfield_0.02", canfield_002},
               {"canfield_0.1", canfield_01},
               {"canfield_4", canfield_4},
               {"thermal_electrons", thermal_electrons},
               {"normals", normals},
               {"draw_table", draw_table},
               {"draw_cells_2d", draw_cells},
               {"uniform_double", philox}};
    enum { JOBS = sizeof job / sizeof *job };
    static double ns[JOBS][REPEATS];
    double median[JOBS];
    bml_sample_rng_init(&rng, 1, 0);
    for (int i = 0; i < N; i++) {
        do {
            gamma_d[i] = (double)(gamma_[i] = (float)(20 * pow(10, 9.69 * bml_sample_rng_uniform(&rng))));
            eps0_d[i] = (double)(eps0[i] = (float)pow(10, -13 + 15 * bml_sample_rng_uniform(&rng)));
        } while (!bml_sample__in_domain(gamma_d[i], eps0_d[i]) || gamma_d[i] > 1e11);
    }
    gamma_[0] = 1e4f;
    eps0[0] = 1e-4f;
    gamma_d[0] = 1e4;
    eps0_d[0] = 1e-4;
    for (int k = 0; k < 16; k++) {
        w_out[k] = (float)bml_sample_rng_normal(&rng) * 0.2f;
        for (int j = 0; j < 3; j++) {
            w_in[k][j] = (float)bml_sample_rng_normal(&rng) * 0.2f;
        }
        for (int j = 0; j < 4; j++) {
            w_bias[j][k] = (float)bml_sample_rng_normal(&rng) * 0.2f;
        }
        for (int j = 0; j < 16; j++) {
            w_hidden[0][k][j] = (float)bml_sample_rng_normal(&rng) * 0.2f;
            w_hidden[1][k][j] = -w_hidden[0][k][j];
        }
    }
    double t = bench_seconds();
    bml_sample_compton_table(&nodes);
    printf("sample_table_init %.2f ms\n", (bench_seconds() - t) * 1e3);
    bounds();
    set_up();
    for (int i = 0; i < N; i++) {
        uniform_[i] = (float)bml_sample_rng_uniform(&rng);
    }
    for (int r = 0; r < REPEATS; r++) {
        for (int j = 0; j < JOBS; j++) {
            t = bench_seconds();
            const int n = job[j].run();
            ns[j][r] = (bench_seconds() - t) * 1e9 / n;
        }
    }
    for (int j = 0; j < JOBS; j++) {
        median[j] = bench_median(ns[j], REPEATS);
    }
    printf("sample_expf %.2f ns\n", median[0]);
    for (int j = 1; j < JOBS; j++) {
        printf("sample_%s %.2f ns, %.3g per second\n", job[j].name, median[j], 1e9 / median[j]);
        printf("sample_%s_ratio %.3f expf\n", job[j].name, median[j] / median[0]);
    }
    return energy[1] + rest[0] + (float)energy_d[1] >= 0 ? 0 : 1;
}
