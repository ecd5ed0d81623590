/* test_nn.c: bml_nn.h in float: the product and the functions against plain versions, learning, uncertainty against closed forms,
   training that stops, resumes and does not depend on threads, metrics, and what is refused. Derivatives in double:
   test_nn_gradients.c; other programs' numbers: test_nn_forward.c; hostile files: test_nn_files.c. */
#include <stdlib.h>
static void *counted_malloc(size_t n);
static void counted_free(void *p);
#define BML_NN_MALLOC(n) counted_malloc(n)
#define BML_NN_FREE(p) counted_free(p)
#undef BML_NN_IMPLEMENTED /* what lies inside is tested, too */
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#include "check.h"
#include <string.h>

enum { HEAD = 64 };
static size_t in_use;
static size_t peak;
static long blocks;
static long fail_after = -1; /* allocations that still succeed, when not negative */
static void *counted_malloc(size_t n) {
    char *p = fail_after == 0 ? NULL : (char *)malloc(n + HEAD);
    if (fail_after > 0) fail_after--;
    if (!p) return NULL;
    memcpy(p, &n, sizeof n);
    in_use += n;
    blocks++;
    peak = in_use > peak ? in_use : peak;
    return p + HEAD;
}
static void counted_free(void *p) {
    if (!p) return;
    size_t n;
    memcpy(&n, (char *)p - HEAD, sizeof n);
    in_use -= n;
    blocks--;
    free((char *)p - HEAD);
}
static unsigned long seed;
static int quick;

static void fill(float *a, size_t n, bml_nn_rng *rng, double low, double high) {
    for (size_t i = 0; i < n; i++)
        a[i] = (float)(low + (high - low) * bml_nn_rng_uniform(rng));
}

/* ---- layers and trainings by their members that the tests set ---- */
static bml_nn_layer layer(int kind, int units) {
    bml_nn_layer l = {.kind = kind};
    l.units = units;
    return l;
}

static bml_nn_layer sequence(int steps, int features) {
    bml_nn_layer l = {.kind = BML_NN_INPUT};
    l.steps = steps;
    l.features = features;
    return l;
}

static bml_nn_layer input(int features) {
    return sequence(0, features);
}

static bml_nn_layer dense(int units, int activation) {
    bml_nn_layer l = layer(BML_NN_DENSE, units);
    l.activation = activation;
    return l;
}

static bml_nn_layer dropout(double rate) {
    bml_nn_layer l = {.kind = BML_NN_DROPOUT};
    l.rate = rate;
    return l;
}

static bml_nn_training training(const float *x, const float *y, size_t n) {
    bml_nn_training how = {.x = x};
    how.y = y;
    how.n = n;
    return how;
}

/* ---- Philox4x32-10: the known answers of the Random123 distribution (Salmon et al. 2011) ---- */
static void check_philox(void) {
    static const uint32_t counters[3][4] = {
        {0, 0, 0, 0},
        {0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu},
        {0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u},
    };
    static const uint32_t keys[3][2] = {
        {0, 0},
        {0xffffffffu, 0xffffffffu},
        {0xa4093822u, 0x299f31d0u},
    };
    static const uint32_t want[3][4] = {
        {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u},
        {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu},
        {0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t got[4];
        bml_nn_philox(got, counters[i], keys[i]);
        CHECK(!memcmp(got, want[i], sizeof got), "Philox4x32-10, known answer %d", i);
    }
}

/* ---- elementary functions: units in the last place against the C library in double ---- */
static double ulps(float got, double want) {
    double size = ldexp(1, ilogb(want) - 23);
    return fabs((double)got - want) / size;
}

static void check_functions(void) {
    double e = 0;
    double t = 0;
    double s = 0;
    double l = 0;
    for (int i = -8700; i <= 8800; i++) {
        float x = (float)i * 0.01f + 0.003f * (float)(i % 7);
        if (x < -87 || x > 88) continue;
        const double grown = exp((double)x);
        const double logistic = 1 / (1 + exp(-(double)x));
        e = fmax(e, ulps(bml_nn__exp(x), grown));
        if (x > -86) s = fmax(s, ulps(bml_nn__logistic(x), logistic));
    }
    for (int i = -40000; i <= 40000; i++) {
        float x = (float)i * 2.5e-4f;
        const double want = tanh((double)x);
        if (i) t = fmax(t, ulps(bml_nn__tanh(x), want));
    }
    for (int i = 1; i <= 40000; i++) {
        float small = (float)ldexp(1, -i % 30) * (float)i / 40000;
        const double log1 = log1p((double)small);
        const double tanh1 = tanh((double)small);
        l = fmax(l, ulps(bml_nn__log1p(small), log1));
        t = fmax(t, ulps(bml_nn__tanh(small), tanh1));
    }
    CHECK_LE(e, 2, "exp, ulp");
    CHECK_LE(t, 3, "tanh, ulp");
    CHECK_LE(s, 3, "logistic, ulp");
    CHECK_LE(l, 3, "log(1+x) on [0,1], ulp");
    float nan = bml_nn__exp(NAN);
    float huge = bml_nn__tanh(1e30f);
    float low = bml_nn__tanh(-INFINITY);
    float other = bml_nn__tanh(NAN);
    int stays = nan != nan;
    stays = stays && other != other;
    CHECK(stays && huge == 1 && low == -1, "NaN stays NaN, infinities give the limits");
}

/* ---- the product against three plain loops: rounding is at most depth eps of the sum of absolute values ---- */
static void check_product_of(size_t m, size_t n, size_t k, int ta, int tb, int add, bml_nn_rng *rng) {
    size_t ldc = n + 3;
    float *a = (float *)malloc((m * k + 1) * sizeof *a);
    float *b = (float *)malloc((k * n + 1) * sizeof *b);
    float *c = (float *)malloc(m * ldc * sizeof *c);
    double worst = 0;
    int outside = 0;
    if (!a || !b || !c) exit(1);
    fill(a, m * k, rng, -1, 1);
    fill(b, k * n, rng, -1, 1);
    for (size_t i = 0; i < m * ldc; i++)
        c[i] = 7;
    const ptrdiff_t M = (ptrdiff_t)m;
    const ptrdiff_t N = (ptrdiff_t)n;
    const ptrdiff_t K = (ptrdiff_t)k;
    const bml_nn__mat A = ta ? bml_nn__cols(a, M) : bml_nn__rows(a, K);
    const bml_nn__mat B = tb ? bml_nn__cols(b, K) : bml_nn__rows(b, N);
    bml_nn__product(c, (ptrdiff_t)ldc, A, B, M, N, K, add);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = add ? 7 : 0;
            double size = 7;
            for (size_t l = 0; l < k; l++) {
                const size_t in_a = ta ? l * m + i : i * k + l;
                const size_t in_b = tb ? j * k + l : l * n + j;
                const double p = (double)a[in_a] * (double)b[in_b];
                sum += p;
                size += fabs(p);
            }
            const double got = (double)c[i * ldc + j];
            const double bound = size * (double)(k + 2) * 1.2e-7;
            worst = fmax(worst, fabs(got - sum) / bound);
        }
        for (size_t j = n; j < ldc; j++)
            outside += c[i * ldc + j] != 7;
    }
    const char *a_is = ta ? ", a transposed" : "";
    const char *b_is = tb ? ", b transposed" : "";
    const char *c_is = add ? ", added" : "";
    const int rows = (int)m;
    const int columns = (int)n;
    const int depth = (int)k;
    CHECK(worst <= 1 && !outside, "product %dx%dx%d%s%s%s: error %.2f of its bound, %d numbers written outside", rows,
          columns, depth, a_is, b_is, c_is, worst, outside);
    free(a);
    free(b);
    free(c);
}

/* Every element is one sum in one order: B as it lies and its transpose, and n columns or one, give the same bits. */
static void check_order_of_sums(void) {
    enum { M = 45 };
    enum { N = 203 };
    enum { K = 601 };
    static float a[M * K];
    static float b[K * N];
    static float turned[N * K];
    static float c[3][M * N];
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, seed, 2);
    fill(a, M * K, &rng, -1, 1);
    fill(b, K * N, &rng, -1, 1);
    for (int k = 0; k < K; k++)
        for (int j = 0; j < N; j++)
            turned[j * K + k] = b[k * N + j];
    const bml_nn__mat A = bml_nn__rows(a, K);
    const bml_nn__mat B = bml_nn__rows(b, N);
    const bml_nn__mat B_turned = bml_nn__cols(turned, K);
    int differ = 0;
    for (int m = 4; m <= M; m += 3) {
        for (int i = 0; i < m * N; i++) {
            c[0][i] = 1;
            c[1][i] = 1;
            c[2][i] = 1;
        }
        bml_nn__product(c[0], N, A, B, m, N, K, 1);
        bml_nn__product(c[1], N, A, B_turned, m, N, K, 1);
        for (int j = m; j < N; j += M) {
            const bml_nn__mat one = bml_nn__rows(b + j, N);
            bml_nn__product(c[2] + j, N, A, one, m, 1, K, 1);
        }
        for (int i = 0; i < m * N; i++) {
            const int j = i % N;
            const int alone = j >= m && (j - m) % M == 0;
            int other = c[0][i] != c[1][i];
            other = other || (alone && c[0][i] != c[2][i]);
            differ += other;
        }
    }
    CHECK(!differ, "products of 4 to %d rows by %d columns in other shapes: %d elements differ", M, N, differ);
    differ = 0;
    for (int m = 1; m <= 13; m++) {
        for (int i = 0; i < m * N; i++)
            c[1][i] = 1;
        const size_t size = (size_t)(m * N) * sizeof **c;
        bml_nn__product(c[1], N, A, B, m, N, K, 1);
        differ += memcmp(c[1], c[0], size) != 0;
    }
    CHECK(!differ, "the first rows of a product of %d rows by themselves: %d of 13 products differ", M, differ);
}

static void check_product(void) {
    static const size_t sizes[][3] = {
        {1, 1, 1},     {1, 300, 70},   {2, 33, 17},   {3, 5, 600},    {4, 64, 3},     {12, 32, 256},
        {13, 31, 257}, {25, 100, 20},  {16, 77, 130}, {40, 203, 300}, {48, 552, 184}, {70, 200, 301},
        {100, 1, 300}, {7, 47, 0},     {1, 552, 184}, {1, 250, 90},   {2, 130, 70},   {5, 400, 90},
        {6, 552, 184}, {11, 300, 100}, {1, 7, 40},    {1, 14, 33},
    };
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, seed, 1);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int how = 0; how < 8; how++) {
            const size_t *size = sizes[i];
            const int a_turned = how & 1;
            const int b_turned = how >> 1 & 1;
            check_product_of(size[0], size[1], size[2], a_turned, b_turned, how >> 2, &rng);
        }
    check_order_of_sums();
}

/* ---- learning: each problem from 20 seeds, to a loss stated beside it ---- */
static bml_nn *net_of(const bml_nn_layer *layers, int n, uint64_t s) {
    bml_nn *net = NULL;
    bml_nn_config config = {layers, n, s};
    char why[BML_NN_MESSAGE];
    int status = bml_nn_create(&net, &config, why);
    if (status) printf("      %s: %s\n", bml_nn_strerror(status), why);
    return net;
}

static void learn(const char *name, const bml_nn_layer *layers, int n, bml_nn_training how, double want) {
    int reached = 0;
    double worst = 0;
    int seeds = quick ? 2 : 20;
    for (int k = 0; k < seeds; k++) {
        bml_nn *net = net_of(layers, n, seed + (uint64_t)k);
        bml_nn_epoch last = {0};
        how.seed = seed + 100 + (uint64_t)k;
        if (bml_nn_train(net, &how, &last)) printf("      %s\n", bml_nn_message(net));
        reached += last.loss <= want;
        worst = fmax(worst, last.loss);
        bml_nn_free(net);
    }
    CHECK(reached == seeds, "%s: %d of %d seeds reach a loss of %g, worst %.3g", name, reached, seeds, want, worst);
}

enum { LEARN_ROWS = 200 };
enum { LEARN_STEPS = 24 };
static float learn_x[LEARN_ROWS * LEARN_STEPS];
static float learn_y[LEARN_ROWS];

static void learn_xor(void) {
    float x[8] = {0, 0, 0, 1, 1, 0, 1, 1};
    float y[4] = {0, 1, 1, 0};
    bml_nn_layer l[] = {
        input(2),
        dense(16, BML_NN_TANH),
        dense(1, 0),
    };
    bml_nn_training how = training(x, y, 4);
    how.loss = BML_NN_BINARY_LOGITS;
    how.epochs = 300;
    how.learning_rate = 0.05;
    how.batch = 4;
    learn("XOR", l, 3, how, 0.01);
}

static void learn_sine(void) {
    bml_nn_layer l[] = {
        input(1),
        dense(24, BML_NN_TANH),
        dense(1, 0),
    };
    for (int i = 0; i < LEARN_ROWS; i++) {
        const float x = -3.0f + 6.0f * (float)i / (LEARN_ROWS - 1);
        learn_x[i] = x;
        learn_y[i] = sinf(x);
    }
    bml_nn_training how = training(learn_x, learn_y, LEARN_ROWS);
    how.epochs = 1000;
    how.learning_rate = 2e-2;
    how.batch = 50;
    how.schedule = BML_NN_COSINE;
    learn("a sine, MSE", l, 3, how, 1e-3);
}

/* The next value of a damped oscillator of random phase and damping. */
static void learn_oscillator(bml_nn_rng *rng) {
    bml_nn_layer l[] = {
        sequence(LEARN_STEPS, 1),
        layer(BML_NN_GRU, 12),
        dense(1, 0),
    };
    for (int i = 0; i < LEARN_ROWS; i++) {
        double phase = 6.28 * bml_nn_rng_uniform(rng);
        double damping = 0.02 + 0.05 * bml_nn_rng_uniform(rng);
        for (int t = 0; t <= LEARN_STEPS; t++) {
            float *at = t < LEARN_STEPS ? &learn_x[i * LEARN_STEPS + t] : &learn_y[i];
            const double envelope = exp(-damping * t);
            *at = (float)(envelope * cos(0.7 * t + phase));
        }
    }
    bml_nn_training how = training(learn_x, learn_y, LEARN_ROWS);
    how.epochs = 60;
    how.learning_rate = 1e-2;
    how.batch = 25;
    how.schedule = BML_NN_COSINE;
    learn("a damped oscillator, MSE", l, 3, how, 2e-3);
}

static void learn_moons(bml_nn_rng *rng) {
    bml_nn_layer wide = dense(16, BML_NN_RELU);
    wide.init = BML_NN_HE;
    bml_nn_layer l[] = {
        input(2),
        wide,
        wide,
        dense(1, 0),
    };
    for (int i = 0; i < LEARN_ROWS; i++) {
        double angle = 3.1416 * bml_nn_rng_uniform(rng);
        double r = 0.08 * bml_nn_rng_normal(rng);
        double q = 0.08 * bml_nn_rng_normal(rng);
        const int second = i % 2;
        double across = cos(angle);
        double up = sin(angle);
        if (second) {
            across = 1 - across;
            up = 0.5 - up;
        }
        learn_x[2 * i] = (float)(across + r);
        learn_x[2 * i + 1] = (float)(up + q);
        learn_y[i] = (float)second;
    }
    bml_nn_training how = training(learn_x, learn_y, LEARN_ROWS);
    how.loss = BML_NN_BINARY_LOGITS;
    how.epochs = 200;
    how.learning_rate = 1e-2;
    how.batch = 50;
    learn("two moons, cross-entropy", l, 4, how, 0.05);
}

static void check_learning(void) {
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, seed, 5);
    learn_xor();
    learn_sine();
    learn_oscillator(&rng);
    learn_moons(&rng);
}

/* ---- uncertainty ---- */

/* Dropout before one linear layer: mean and variance of the sum are known. */
static void check_dropout(void) {
    enum { D = 20000 };
    enum { IN = 8 };
    bml_nn_layer l[] = {
        input(IN),
        dropout(0.3),
        dense(2, 0),
    };
    bml_nn *net = net_of(l, 3, seed);
    float x[IN];
    float *draws = (float *)malloc(D * 2 * sizeof *draws);
    float mean[2];
    float sd[2];
    bml_nn_spread out = {.mean = mean};
    out.sd = sd;
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, seed, 11);
    fill(x, IN, &rng, 0.5, 2);
    int status = bml_nn_draws(net, NULL, draws, x, 1, D, seed);
    if (!status) status = bml_nn_summarize_draws(&out, draws, D, 2);
    CHECK(status == 0, "dropout draws");
    for (int j = 0; j < 2; j++) {
        double m = 0;
        double v = 0;
        for (int i = 0; i < IN; i++) {
            double a = (double)x[i] * (double)net->params[i * 2 + j];
            m += a;
            v += a * a * 0.3 / 0.7;
        }
        const double got = (double)mean[j];
        const double error = sqrt(v / D);
        CHECK(fabs(got - m) < 5 * error, "dropout mean %.4f, exact %.4f +- %.4f", got, m, error);
        CHECK_NEAR((double)sd[j] / sqrt(v), 1, 5 * sqrt(0.5 / D) + 1e-3,
                   "dropout sd over the exact one"); /* kurtosis of 8 terms is below the normal's */
    }
    free(draws);
    bml_nn_free(net);
}

static bml_nn_training flipout_training(const float *x, const float *y, int n, double e) {
    bml_nn_training how = training(x, y, (size_t)n);
    how.epochs = quick ? 200 : 4000;
    how.learning_rate = 0.02;
    how.batch = n;
    how.kl_weight = 2 * e * e;
    how.schedule = BML_NN_COSINE;
    how.seed = seed;
    return how;
}

/* y = w.x + b + noise of sd e, prior N(0, 1): with orthogonal columns the posterior has independent weights, precision
   sum x^2/e^2 + 1 each, so that the variational family holds it. */
static void check_flipout(void) {
    enum { N = 64 };
    enum { D = 4000 };
    const double e = 0.5;
    const double truth[3] = {1.5, -0.8, 0.4}; /* two slopes, bias */
    bml_nn_layer l[] = {input(2), layer(BML_NN_BAYES, 1)};
    bml_nn *net = net_of(l, 2, seed);
    float x[2 * N];
    float y[N];
    float at[6] = {0, 0, 2, 0, 1, -1};
    float *draws = (float *)malloc(D * 3 * sizeof *draws);
    float mean[3];
    float sd[3];
    double s[3] = {0};
    double sy[3] = {0};
    bml_nn_spread out = {.mean = mean};
    out.sd = sd;
    bml_nn_training how = flipout_training(x, y, N, e);
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, seed, 21);
    for (int i = 0; i < N; i++) {
        float row[3];
        row[0] = i & 1 ? 0.3f : -0.3f;
        row[1] = i & 2 ? 0.6f : -0.6f;
        row[2] = 1;
        memcpy(&x[2 * i], row, 2 * sizeof *row);
        double exact = truth[0] * (double)row[0];
        exact += truth[1] * (double)row[1];
        exact += truth[2];
        y[i] = (float)(exact + e * bml_nn_rng_normal(&rng));
        for (int k = 0; k < 3; k++) {
            s[k] += (double)row[k] * (double)row[k];
            sy[k] += (double)row[k] * (double)y[i];
        }
    }
    int status = bml_nn_train(net, &how, NULL);
    if (!status) status = bml_nn_draws(net, NULL, draws, at, 3, D, seed);
    if (!status) status = bml_nn_summarize_draws(&out, draws, D, 3);
    CHECK(status == 0, "Flipout trained");
    for (int j = 0; j < 3 && !quick; j++) {
        double m = 0;
        double v = 0;
        for (int k = 0; k < 3; k++) {
            double q = k < 2 ? (double)at[2 * j + k] : 1;
            double precision = s[k] / (e * e) + 1;
            m += q * sy[k] / (e * e) / precision;
            v += q * q / precision;
        }
        const double got = (double)mean[j];
        const double width = sqrt(v);
        const double bound = 0.1 * width + 5 * sqrt(v / D);
        CHECK(fabs(got - m) <= bound, "Flipout mean %.4f, exact %.4f, within 10 %% of its sd %.4f", got, m, width);
        CHECK_NEAR((double)sd[j] / sqrt(v), 1, 0.1, "Flipout sd over the exact one");
    }
    free(draws);
    bml_nn_free(net);
}

/* ---- training: threads, blocks, resuming, stopping ---- */
enum { ROWS = 150 };
enum { WIDE = 6 };
static float data_x[ROWS * WIDE];
static float data_y[ROWS * 2];
static bml_nn_layer busy[6];

static void fill_busy(void) {
    busy[0] = sequence(3, 2);
    busy[1] = layer(BML_NN_GRU, 8);
    busy[1].sequence = 1;
    busy[2] = layer(BML_NN_FLATTEN, 0);
    busy[3] = dropout(0.2);
    busy[4] = layer(BML_NN_BAYES, 6);
    busy[4].activation = BML_NN_TANH;
    busy[5] = dense(2, 0);
}

static bml_nn_training busy_training(void) {
    bml_nn_training how = training(data_x, data_y, ROWS);
    how.batch = 48;
    how.block = 10;
    how.epochs = 6;
    how.validation = 0.2;
    how.seed = seed;
    how.l2 = 1e-4;
    how.clip = 1;
    how.schedule = BML_NN_EXPONENTIAL;
    how.warmup = 3;
    return how;
}

static uint64_t fingerprint(const bml_nn *net) {
    uint64_t h = 1469598103934665603u;
    const unsigned char *p = (const unsigned char *)net->params;
    for (size_t i = 0; i < bml_nn_n_params(net) * sizeof(float); i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h;
}

static void check_threads_and_resume(void) {
    uint64_t print[3];
    bml_nn_epoch last[2];
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, seed, 31);
    fill(data_x, ROWS * WIDE, &rng, -1, 1);
    for (int i = 0; i < ROWS; i++) {
        data_y[2 * i] = data_x[WIDE * i] * data_x[WIDE * i + 3];
        data_y[2 * i + 1] = data_x[WIDE * i + 5];
    }
    for (int k = 0; k < 3; k++) {
        bml_nn *net = net_of(busy, 6, seed);
        bml_nn_training how = busy_training();
        static const int threads[3] = {1, 2, 5};
        how.threads = threads[k];
        CHECK(bml_nn_train(net, &how, &last[k > 0]) == 0, "training with %d threads", how.threads);
        print[k] = fingerprint(net);
        bml_nn_free(net);
    }
    uint64_t whole = print[0];
    int same = print[1] == whole;
    same = same && print[2] == whole;
    same = same && last[0].loss == last[1].loss;
    CHECK(same, "the same bits with 1, 2 and 5 threads");
    {
        bml_nn *net = net_of(busy, 6, seed);
        bml_nn *other = net_of(busy, 6, seed + 9);
        bml_nn_training how = busy_training();
        bml_nn_trainer *t;
        int status = bml_nn_trainer_create(&t, net, &how, NULL);
        const char *path = "build/test_nn.checkpoint";
        if (!status) status = bml_nn_trainer_run(t, 2);
        if (!status) status = bml_nn_trainer_save(t, path);
        CHECK(status == 0, "two epochs, and a checkpoint");
        bml_nn_trainer *u;
        CHECK(bml_nn_trainer_create(&u, other, &how, NULL) == 0, "another trainer");
        status = bml_nn_trainer_load(u, path);
        if (!status) status = bml_nn_trainer_run(u, 0);
        CHECK(status == 0, "takes it and goes on (%s)", bml_nn_message(other));
        const bml_nn_epoch end = bml_nn_trainer_last(u);
        same = fingerprint(other) == whole;
        same = same && end.loss == last[0].loss;
        CHECK(same && end.epoch == 6, "to the same bits as in one run");
        bml_nn_trainer_free(u);
        how.seed++;
        status = bml_nn_trainer_create(&u, other, &how, NULL);
        if (!status) status = bml_nn_trainer_load(u, path);
        CHECK(status == BML_NN_MISMATCH, "a checkpoint of other settings is refused: %s", bml_nn_message(other));
        bml_nn_trainer_free(u);
        bml_nn_trainer_free(t);
        bml_nn_free(net);
        bml_nn_free(other);
        remove(path);
    }
}

static int stop_at_three(const bml_nn_epoch *e, void *user) {
    *(int *)user = e->epoch;
    return e->epoch == 3;
}
static double nan_later(const bml_nn_batch *b, void *user) {
    int *calls = (int *)user;
    double loss = 0;
    const size_t values = (size_t)b->n * b->n_out;
    for (size_t i = 0; i < values; i++) {
        const float p = b->prediction[i];
        b->gradient[i] = 2 * p / (float)b->n;
        loss += (double)(p * p) / b->n;
    }
    ++*calls;
    return *calls > 7 ? (double)NAN : loss;
}

static void check_batches(bml_nn *net) {
    bml_nn_batch_step steps[] = {{2, 30}, {4, 100}};
    bml_nn_training how = busy_training();
    bml_nn_epoch last = {0};
    how.batches = steps;
    how.n_batches = 2;
    how.validation = 0;
    how.epochs = 4;
    int status = bml_nn_train(net, &how, &last);
    CHECK(status == 0 && last.batch == 100, "batches of %d rows in epoch 4", last.batch);
}

static void check_stopping(void) {
    bml_nn *net = net_of(busy, 6, seed);
    bml_nn_training how = busy_training();
    bml_nn_epoch last = {0};
    int count = 0;
    how.callback = stop_at_three;
    how.user = &count;
    int status = bml_nn_train(net, &how, &last);
    int stopped = status == BML_NN_CANCELLED;
    stopped = stopped && count == 3;
    CHECK(stopped && last.epoch == 3, "the callback stops training: %s", bml_nn_message(net));
    how = busy_training();
    how.epochs = 500;
    how.patience = 5;
    how.first_epoch = 10;
    how.learning_rate = 0.05;
    how.schedule = BML_NN_CONSTANT;
    status = bml_nn_train(net, &how, &last);
    stopped = status == 0 && last.epoch < 500;
    stopped = stopped && last.epoch == last.best_epoch + 5;
    CHECK(stopped && last.best_epoch >= 10, "patience: stopped at %d, best was %d", last.epoch, last.best_epoch);
    { /* the net holds the best weights: its validation loss is the best one, to the rounding of another batch size */
        bml_nn_trainer *t;
        bml_nn_trainer_create(&t, net, &how, NULL);
        bml_nn__validate(t);
        CHECK_NEAR(t->last.val_loss / last.best_loss, 1, 1e-5,
                   "the best weights are kept: validation loss over the best");
        bml_nn_trainer_free(t);
    }
    uint64_t before = fingerprint(net);
    how = busy_training();
    how.loss = BML_NN_CUSTOM;
    how.loss_fn = nan_later;
    how.loss_user = &count;
    how.validation = 0;
    how.batch = 50;
    count = 0;
    CHECK(bml_nn_train(net, &how, &last) == BML_NN_NAN && last.epoch == 2, "a NaN in the third epoch stops: %s",
          bml_nn_message(net));
    CHECK(fingerprint(net) != before && strstr(bml_nn_message(net), "epoch 3") != NULL,
          "with the weights of epoch 2 and the number 3 in the message");
    check_batches(net);
    how = busy_training();
    how.learning_rate = 1e9;
    how.schedule = BML_NN_CONSTANT;
    how.clip = 0;
    how.optimizer = BML_NN_SGD;
    how.epochs = 40;
    count = bml_nn_train(net, &how, &last);
    CHECK(count == BML_NN_NAN, "a rate that explodes: %s", bml_nn_message(net));
    for (ptrdiff_t i = 0; i < net->n_params; i++)
        if (!isfinite(net->params[i])) count = 1;
    CHECK(count == BML_NN_NAN, "all weights are finite after it");
    bml_nn_free(net);
}

/* Schedules in closed form: one batch an epoch, the rate of each epoch. */
static double seen_rate[8];
static int note_rate(const bml_nn_epoch *e, void *user) {
    (void)user;
    seen_rate[e->epoch - 1] = e->learning_rate;
    return 0;
}
static double wanted_rate(int schedule, int epoch) {
    switch (schedule) {
    case BML_NN_STEP: return 0.1 * pow(0.25, epoch / 2);
    case BML_NN_EXPONENTIAL: return 0.1 * pow(0.25, epoch / 2.0);
    case BML_NN_COSINE: return 0.1 * (0.25 + 0.75 * 0.5 * (1 + cos(acos(-1.0) * epoch / 8)));
    default: return 0.1;
    }
}
static void check_schedules(void) {
    float x[4] = {0, 1, 2, 3};
    float y[4] = {0, 1, 2, 3};
    bml_nn_layer l[] = {input(1), dense(1, 0)};
    bml_nn *net = net_of(l, 2, seed);
    for (int s = 0; s < BML_NN_N_SCHEDULES; s++) {
        bml_nn_training how = training(x, y, 4);
        how.epochs = 8;
        how.schedule = s;
        how.learning_rate = 0.1;
        how.decay = 0.25;
        how.period = 2;
        how.callback = note_rate;
        how.warmup = 2;
        double worst = 0;
        bml_nn_train(net, &how, NULL);
        for (int e = 0; e < 8; e++) {
            double want = wanted_rate(s, e);
            if (e == 0) want /= 2;
            worst = fmax(worst, fabs(seen_rate[e] - want));
        }
        CHECK_LE(worst, 1e-15, "learning rates of a schedule, with warm-up");
    }
    bml_nn_free(net);
}

/* Weighted rows and classes are the same as repeated rows. */
static void check_weights(void) {
    float x[4] = {-1, 0, 1, 2};
    float y[4] = {0, 0, 1, 1};
    float w[4] = {1, 2, 1, 3};
    float x2[7] = {-1, 0, 0, 1, 2, 2, 2};
    float y2[7] = {0, 0, 0, 1, 1, 1, 1};
    double classes[2] = {1, 2};
    float x3[6] = {-1, 0, 1, 2, 1, 2};
    float y3[6] = {0, 0, 1, 1, 1, 1};
    bml_nn_layer l[] = {
        input(1),
        dense(3, BML_NN_TANH),
        dense(1, BML_NN_SIGMOID),
    };
    bml_nn_training how[4];
    how[0] = training(x, y, 4);
    how[0].weights = w;
    how[1] = training(x2, y2, 7);
    how[2] = training(x, y, 4);
    how[2].class_weights = classes;
    how[3] = training(x3, y3, 6);
    float out[4];
    for (int k = 0; k < 4; k++) {
        bml_nn *net = net_of(l, 3, seed);
        float at = 0.5f;
        how[k].loss = BML_NN_BINARY;
        how[k].epochs = 20;
        how[k].learning_rate = 0.05;
        how[k].optimizer = BML_NN_SGD;
        bml_nn_train(net, &how[k], NULL);
        bml_nn_predict(net, NULL, &out[k], &at, 1);
        bml_nn_free(net);
    }
    CHECK_NEAR((double)out[0], (double)out[1], 2e-6,
               "sample weights are repeated rows"); /* 20 steps of rounding in another order */
    CHECK_NEAR((double)out[2], (double)out[3], 2e-6, "class weights are repeated rows");
}

/* ---- inference ---- */
/* What is written comes back, in every storage, with what was hung on it. */
static void check_saved(bml_nn *net) {
    bml_nn *back = NULL;
    char why[BML_NN_MESSAGE];
    float a[ROWS * 2];
    float half[ROWS * 2];
    const char *units = "cm, \"G\"\n\\";
    const char *path = "build/test_nn.safetensors";
    int status = bml_nn_set_text(net, "units", units);
    if (!status) status = bml_nn_set_array(net, "error", data_y, 10);
    CHECK(status == 0, "a text and an array travel");
    bml_nn_predict(net, NULL, a, data_x, ROWS);
    for (int storage = BML_NN_F32; storage <= BML_NN_F64; storage++) {
        const double limit[] = {0, 2e-2, 0.15, 0}; /* weights to 2^-11 and 2^-8 of themselves; outputs span about 2 */
        size_t n = 0;
        status = bml_nn_save(net, path, storage);
        if (!status) status = bml_nn_load(&back, path, why);
        CHECK(status == 0, "saved as %s and loaded: %s", bml_nn__dtypes[storage], why);
        bml_nn_predict(back, NULL, half, data_x, ROWS);
        double worst = 0;
        for (int i = 0; i < ROWS * 2; i++) {
            const double off = fabs((double)(half[i] - a[i]));
            worst = fmax(worst, off);
        }
        CHECK_LE(worst, limit[storage], "its predictions differ by");
        const char *text = bml_nn_get_text(back, "units");
        const float *array = bml_nn_get_array(back, "error", &n);
        int came = text && !strcmp(text, units);
        came = came && array && n == 10;
        came = came && !memcmp(array, data_y, 10 * sizeof(float));
        CHECK(came, "text and array came along");
        bml_nn_free(back);
        back = NULL;
    }
    remove(path);
    status = bml_nn_load(&back, "build/no_such_file", why);
    int named_it = status == BML_NN_CANNOT_OPEN;
    named_it = named_it && !back;
    CHECK(named_it && strstr(why, "no_such_file"), "a file that is not there is named");
    bml_nn_free(back);
}

static void check_inference(void) {
    bml_nn *net = net_of(busy, 6, seed);
    float a[ROWS * 2];
    float b[ROWS * 2];
    float nan_x[2 * WIDE];
    float pair[4];
    float dx[ROWS * WIDE];
    float full[WIDE];
    float value[2];
    double worst = 0;
    int status = bml_nn_fit_scaler(net, BML_NN_INPUTS, BML_NN_STANDARD, data_x, ROWS);
    if (!status) status = bml_nn_fit_scaler(net, BML_NN_OUTPUTS, BML_NN_MIN_MAX_ALL, data_y, ROWS);
    CHECK(status == 0, "scalers");
    bml_nn_work *one;
    bml_nn_work_create(&one, net, 7, 1, NULL);
    bml_nn_work *two;
    bml_nn_work_create(&two, net, 7, 2, NULL);
    bml_nn_predict(net, one, a, data_x, ROWS);
    bml_nn_predict(net, two, b, data_x, ROWS);
    CHECK(!memcmp(a, b, sizeof a), "prediction on two threads is that on one, to the bit");
    bml_nn_predict(net, NULL, b, data_x, ROWS);
    for (int i = 0; i < ROWS * 2; i++) {
        const double off = fabs((double)(a[i] - b[i]));
        worst = fmax(worst, off);
    }
    CHECK_LE(worst, 2e-6, "other blocks of rows: rounding alone"); /* sums of some 24 terms of order one, two scalers */
    memcpy(nan_x, data_x, sizeof nan_x);
    nan_x[3] = NAN;
    bml_nn_predict(net, NULL, pair, nan_x, 2);
    CHECK(pair[0] != pair[0] && pair[2] == pair[2], "a NaN in a row stays in its row");
    status = bml_nn_draws(net, one, a, data_x, ROWS / 2, 2, 5);
    if (!status) status = bml_nn_draws(net, two, b, data_x, ROWS / 2, 2, 5);
    int same = status == 0 && !memcmp(a, b, sizeof a);
    CHECK(same && memcmp(a, a + ROWS, ROWS * sizeof *a), "draws: the same on two threads, another one each time");
    bml_nn_vjp(net, one, dx, NULL, data_y, data_x, ROWS);
    CHECK(bml_nn_gradient(net, NULL, full, 1, data_x, 1) == 0, "gradient of one output");
    value[0] = 0;
    value[1] = 1;
    bml_nn_vjp(net, NULL, dx, NULL, value, data_x, 1);
    CHECK(!memcmp(full, dx, sizeof full), "is the vector-Jacobian product with (0, 1)");
    bml_nn_work_free(one);
    bml_nn_work_free(two);
    check_saved(net);
    bml_nn_free(net);
}

/* Derivatives in float: the central difference of numbers of order one at h = 0.01 is good to 1e-5 (rounding) + 1e-4 (h^2). */
static void check_float_gradient(void) {
    bml_nn *net = net_of(busy, 6, seed);
    float dx[WIDE];
    float x[WIDE];
    float y[2];
    float worst = 0;
    float size = 0;
    memcpy(x, data_x, sizeof x);
    for (ptrdiff_t i = 0; i < net->n_params; i++)
        net->params[i] *= 2;
    for (int out = 0; out < 2; out++) {
        bml_nn_gradient(net, NULL, dx, out, x, 1);
        for (int i = 0; i < WIDE; i++) {
            float at = x[i];
            x[i] = at + 0.01f;
            bml_nn_predict(net, NULL, y, x, 1);
            float d = y[out];
            x[i] = at - 0.01f;
            bml_nn_predict(net, NULL, y, x, 1);
            d -= y[out];
            x[i] = at;
            worst = fmaxf(worst, fabsf(d / 0.02f - dx[i]));
            size = fmaxf(size, fabsf(dx[i]));
        }
    }
    CHECK_LE((double)(worst / size), 1e-3, "gradient in float against differences, relative to the largest");
    bml_nn_free(net);
}

/* ---- splits and metrics by hand ---- */
static void check_metrics(void) {
    float p[6] = {1, 2, 3, 4, 5, 7};
    float y[6] = {1, 2, 3, 4, 5, 6};
    float a[4] = {1, 2, 3, 4};
    float b[4] = {3, 4, 5, 6};
    float c[3] = {1, 2, 2};
    float d[2] = {2, 3};
    bml_nn_metrics m[3];
    bml_nn_evaluate(m, p, y, 3, 2);
    CHECK_NEAR(m[0].r2, 1, 0, "R^2 of a perfect column");
    CHECK_NEAR(m[1].r2, 1 - 1.0 / 8, 1e-15, "R^2: 1 - 1/8");
    CHECK_NEAR(m[1].mse, 1.0 / 3, 1e-15, "MSE");
    CHECK_NEAR(m[1].mae, 1.0 / 3, 1e-15, "MAE");
    CHECK_NEAR(m[1].msle, pow(log(8.0 / 7), 2) / 3, 1e-15, "MSLE");
    CHECK_NEAR(m[2].mse, 1.0 / 6, 1e-15, "MSE of all");
    double v;
    CHECK(bml_nn_ks(&v, a, 4, b, 4) == 0, "KS");
    CHECK_NEAR(v, 0.5, 1e-15, "KS of shifted samples");
    bml_nn_ks(&v, c, 3, d, 2);
    CHECK_NEAR(v, 0.5, 1e-15, "KS with ties"); /* F of c at 2 is 1, of d 1/2 */
    CHECK(bml_nn_dtw(&v, a, 4, a, 4) == 0 && v == 0, "DTW of a curve with itself");
    bml_nn_dtw(&v, c, 3, d, 2);
    CHECK_NEAR(v, sqrt(2.0), 1e-15, "DTW of (1,2,2) and (2,3): 1 + 0 + 1"); /* (1-2)^2 + (2-2)^2 + (2-3)^2 */
    int part[100];
    int labels[100];
    int count[2][4] = {{0}};
    double shares[3] = {0.8, 0.1, 0.1};
    for (int i = 0; i < 100; i++)
        labels[i] = i < 30;
    CHECK(bml_nn_split(part, shares, 3, labels, 100, seed) == 0, "a stratified split");
    for (int i = 0; i < 100; i++)
        count[labels[i]][part[i]]++;
    static const int want[2][4] = {
        {56, 7, 7, 0},
        {24, 3, 3, 0},
    };
    CHECK(!memcmp(count, want, sizeof want), "24+3+3 and 56+7+7 rows");
    CHECK(bml_nn_split(part, NULL, 4, NULL, 100, seed) == 0, "four folds");
    for (int i = 0; i < 4; i++)
        count[0][i] = 0;
    for (int i = 0; i < 100; i++)
        count[0][part[i]]++;
    int even = count[0][0] == 25;
    even = even && count[0][1] == 25;
    CHECK(even && count[0][2] == 25, "of 25 rows each");
    CHECK(bml_nn_split(part, NULL, 101, NULL, 100, seed) == BML_NN_BAD_ARGUMENT, "more parts than rows is refused");
}

/* ---- what is refused, and the message ---- */
static void refused(const bml_nn_layer *l, int n, int want, const char *word) {
    bml_nn *net = NULL;
    bml_nn_config config = {l, n, 1};
    char why[BML_NN_MESSAGE];
    int status = bml_nn_create(&net, &config, why);
    CHECK(status == want && !net && strstr(why, word), "refused: %s", why);
}

/* The layers that are refused, by what is wrong with each. */
static bml_nn_layer named(bml_nn_layer l, const char *name) {
    l.name = name;
    return l;
}

static bml_nn_layer from(bml_nn_layer l, const char *first, const char *second) {
    l.from[0] = first;
    l.from[1] = second;
    return l;
}

static bml_nn_layer window(int kind, int units, int kernel) {
    bml_nn_layer l = layer(kind, units);
    l.kernel = kernel;
    return l;
}

static bml_nn_layer reshape(int steps, int features) {
    bml_nn_layer l = sequence(steps, features);
    l.kind = BML_NN_RESHAPE;
    return l;
}

static void check_refused_layers(void) {
    const bml_nn_layer in = named(input(4), "in");
    const bml_nn_layer seq = named(sequence(5, 2), "seq");
    const bml_nn_layer end = dense(3, 0);
    const bml_nn_layer flat = layer(BML_NN_FLATTEN, 0);
    const bml_nn_layer join = layer(BML_NN_CONCAT, 0);
    const bml_nn_layer add = layer(BML_NN_ADD, 0);
    const bml_nn_layer two = dense(2, 0);
#define REFUSED(want, word, ...)                             \
    do {                                                     \
        const bml_nn_layer l[] = {__VA_ARGS__};              \
        refused(l, (int)(sizeof l / sizeof *l), want, word); \
    } while (0)
#define BAD_LAYER(word, ...) REFUSED(BML_NN_BAD_LAYER, word, __VA_ARGS__)
    BAD_LAYER("units", in, named(dense(0, 0), "empty"));
    BAD_LAYER("features", input(0), end);
    BAD_LAYER("sequence", seq, flat, layer(BML_NN_GRU, 3));
    BAD_LAYER("no layer before", in, from(named(two, "a"), "b", NULL), from(named(two, "b"), "a", NULL));
    BAD_LAYER("differ in steps", in, seq, from(join, "in", "seq"), end);
    BAD_LAYER("two or more", in, join, end);
    BAD_LAYER("two or more", in, add, end);
    BAD_LAYER("differ in shape", in, named(dense(9, 0), "wide"), from(add, "in", "wide"), end);
    BAD_LAYER("not used", in, seq, flat, end);
    BAD_LAYER("another layer", in, named(two, "in"));
    BAD_LAYER("letters", in, named(two, "a b"));
    BAD_LAYER("rate", in, dropout(1), end);
    BAD_LAYER("rate", in, dropout((double)NAN), end);
    BAD_LAYER("kernel", seq, window(BML_NN_CONV, 2, 9), flat, end);
    BAD_LAYER("window", seq, window(BML_NN_POOL, 0, 6), flat, end);
    BAD_LAYER("another number", in, reshape(3, 2), flat, end);
    BAD_LAYER("first layer", end, end);
    BAD_LAYER("kind = 77: must be in [0, 14]", in, layer(77, 0));
    BAD_LAYER("activation", in, dense(2, 99));
    REFUSED(BML_NN_TOO_LARGE, "too large", input(2000000000), dense(2000000000, 0), end);
    REFUSED(BML_NN_BAD_ARGUMENT, "layers", in);
}

static void refused_training(bml_nn *net, const bml_nn_training *how, int want, const char *word) {
    const int status = bml_nn_train(net, how, NULL);
    CHECK(status == want && strstr(bml_nn_message(net), word), "refused: %s", bml_nn_message(net));
}

/* Each takes the good training, spoils one member, and must be refused for it. */
#define SPOILT(member, value, word)                                \
    do {                                                           \
        bml_nn_training spoilt = good;                             \
        spoilt.member = value;                                     \
        refused_training(net, &spoilt, BML_NN_BAD_ARGUMENT, word); \
    } while (0)

static void check_refused_trainings(bml_nn *net, const float *bad) {
    const float x[4] = {0, 1, 2, 3};
    const float y[2] = {0, 1};
    const double classes[2] = {1, -1};
    const bml_nn_training good = training(x, y, 2);
    bml_nn_training how = training(bad, y, 2);
    refused_training(net, &how, BML_NN_BAD_DATA, "row 1, column 0");
    SPOILT(learning_rate, -1, "learning_rate");
    SPOILT(learning_rate, (double)INFINITY, "learning_rate");
    SPOILT(n, 0, "data");
    SPOILT(y, NULL, "data");
    SPOILT(loss, BML_NN_CUSTOM, "loss_fn");
    how = training(x, x, 2);
    how.loss = BML_NN_BINARY_LOGITS;
    CHECK(bml_nn_train(net, &how, NULL) == BML_NN_OK, "targets 0 and 1 are fine for a cross-entropy");
    how = good;
    how.loss = BML_NN_BINARY_LOGITS;
    how.class_weights = classes;
    refused_training(net, &how, BML_NN_BAD_ARGUMENT, "class weight 1");
    SPOILT(momentum, 1, "momentum");
    SPOILT(batch, -4, "batch");
    SPOILT(validation, (double)NAN, "validation");
    how = good;
    how.validation = 0.5;
    how.n_val = 2;
    how.x_val = x;
    how.y_val = y;
    refused_training(net, &how, BML_NN_BAD_ARGUMENT, "not both");
}

static void check_refusals(void) {
    const bml_nn_layer l[] = {input(2), dense(1, 0)};
    const float x[4] = {0, 1, 2, 3};
    const float bad[4] = {0, 1, NAN, 3};
    float out[2];
    check_refused_layers();
    bml_nn *net = net_of(l, 2, 1);
    check_refused_trainings(net, bad);
    CHECK(bml_nn_draws(net, NULL, out, x, 1, 2, 1) == BML_NN_BAD_LAYER,
          "draws of a net without anything random are refused");
    int status = bml_nn_predict(net, NULL, NULL, x, 1);
    CHECK(status == BML_NN_BAD_ARGUMENT && bml_nn_predict(NULL, NULL, out, x, 1) == BML_NN_BAD_ARGUMENT,
          "no output, no net");
    status = bml_nn_set_scaler(net, BML_NN_INPUTS, x, bad);
    CHECK(status == BML_NN_BAD_ARGUMENT, "a scale of 0 or NaN: %s", bml_nn_message(net));
    status = bml_nn_fit_scaler(net, BML_NN_INPUTS, BML_NN_STANDARD, bad, 2);
    CHECK(status == BML_NN_BAD_DATA, "NaN for a scaler: %s", bml_nn_message(net));
    bml_nn_free(net);
}

/* Every allocation may fail: a status, and nothing lost. */
static void check_no_memory(void) {
    long good = 0;
    CHECK(blocks == 0, "nothing was left allocated (%ld)", blocks);
    long n;
    for (n = 0; n < 400 && !good; n++) {
        bml_nn *net = NULL;
        bml_nn *back = NULL;
        bml_nn_config config = {busy, 6, 1};
        bml_nn_training how = busy_training();
        unsigned char *bytes = NULL;
        size_t size = 0;
        how.epochs = 1;
        fail_after = n;
        int status = bml_nn_create(&net, &config, NULL);
        if (!status) status = bml_nn_train(net, &how, NULL);
        if (!status) status = bml_nn_encode(net, &bytes, &size, BML_NN_F16);
        if (!status) status = bml_nn_decode(&back, bytes, size, NULL);
        fail_after = -1;
        good = status == 0;
        if (status && status != BML_NN_NO_MEMORY) {
            CHECK(0, "allocation %ld fails: %s", n, bml_nn_strerror(status));
            break;
        }
        bml_nn_free_bytes(bytes);
        bml_nn_free(back);
        bml_nn_free(net);
    }
    CHECK(good && n > 20 && blocks == 0, "each of %ld allocations failed once: NO_MEMORY, and nothing lost (%ld)",
          n - 1, blocks);
}

/* The published classifier (Fraga et al. 2021): 2,745 frequencies, some nine million parameters, a batch of 128. */
static void check_large(void) {
    enum { T = 2745 };
    enum { B = 128 };
    bml_nn_layer l[12] = {sequence(T, 1)};
    float *x = (float *)calloc((size_t)B * T, sizeof *x);
    float *y = (float *)calloc(B, sizeof *y);
    bml_nn_trainer *t = NULL;
    bml_nn_training how = training(x, y, B);
    how.batch = B;
    how.loss = BML_NN_BINARY;
    how.epochs = 1;
    how.threads = 2;
    if (!x || !y) exit(1);
    for (int i = 0; i < 4; i++) {
        l[1 + 2 * i].kind = BML_NN_CONV;
        l[1 + 2 * i].units = 32 << i;
        l[1 + 2 * i].kernel = 3;
        l[1 + 2 * i].activation = BML_NN_TANH;
        l[2 + 2 * i].kind = BML_NN_POOL;
    }
    l[9].kind = BML_NN_LSTM;
    l[9].units = 256;
    l[9].sequence = 1;
    l[9].bidirectional = 1;
    l[10].kind = BML_NN_FLATTEN;
    l[11].kind = BML_NN_DENSE;
    l[11].units = 92;
    l[11].activation = BML_NN_RELU;
    bml_nn *net;
    {
        bml_nn_layer all[13];
        memcpy(all, l, sizeof l);
        memset(&all[12], 0, sizeof all[12]);
        all[12].kind = BML_NN_DENSE;
        all[12].units = 1;
        all[12].activation = BML_NN_SIGMOID;
        net = net_of(all, 13, 1);
    }
    peak = in_use;
    int status = bml_nn_trainer_create(&t, net, &how, NULL);
    CHECK(status == 0, "a trainer for %.1f million parameters", 1e-6 * (double)net->n_params);
    if (!status && getenv("BML_CHECK_LONG"))
        CHECK(bml_nn_trainer_run(t, 0) == 0, "one batch of 128 (loss %.3f)", bml_nn_trainer_last(t).loss);
    CHECK_LE((double)peak / (1 << 30), 4, "conv-BiLSTM at batch 128: GiB at its peak");
    bml_nn_trainer_free(t);
    bml_nn_free(net);
    free(x);
    free(y);
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
    quick = getenv("BML_CHECK_QUICK") != NULL;
    fill_busy();
    check_philox();
    check_functions();
    check_product();
    check_learning();
    check_dropout();
    check_flipout();
    check_threads_and_resume();
    check_stopping();
    check_schedules();
    check_weights();
    check_inference();
    check_float_gradient();
    check_metrics();
    check_refusals();
    check_no_memory();
    check_large();
    return check_done();
}
