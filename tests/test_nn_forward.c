/* test_nn_forward.c: bml_nn.h against the numbers that PyTorch gives (nn_fixtures.h): layers, losses, optimizers,
   gradients, rounding of stored weights, metrics; files in PyTorch's order and in Keras'. With -DBML_NN_DOUBLE the same
   checks hold to thirteen digits. */
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"

#include "check.h"
#include "nn_fixtures.h"
#include <float.h>
#include <string.h>

typedef bml_nn_real real;
enum { MAX_LAYERS = 16, MAX_PIECES = 40 };

/* >> weights by formula */

/* One tensor of a net, in the order in which bml_nn_params holds them. */
typedef struct piece {
    const char *name,
        *name_2; /* in a PyTorch file; name_2: a second one that is added (the two biases of LSTM and RNN) */
    int k, k_2;  /* numbers in the formula of nn_fixtures.h */
    double s;
    int u, c, kernel; /* PyTorch's shape [gates u][c][kernel]; c = 0: a vector [gates u] */
    int gates;        /* 3 GRU, 4 LSTM, 0 or 1: none */
} piece;

/* To float and back. volatile: gcc 12 with -O3 leaves the rounding out of some elements of a vectorised loop. */
static double rounded(double v) {
    volatile float f = (float)v;
    return (double)f;
}

static double formula(int k, size_t i, double s) {
    uint32_t h = (uint32_t)i * 0x9E3779B9u + (uint32_t)k * 0x7F4A7C15u;
    h ^= h >> 16;
    h *= 0x85EBCA6Bu;
    h ^= h >> 13;
    h *= 0xC2B2AE35u;
    h ^= h >> 16;
    return rounded(s * ((double)h / 2147483648.0 - 1));
}

static void fill(real *out, int k, size_t n, double s) {
    for (size_t i = 0; i < n; i++)
        out[i] = (real)formula(k, i, s);
}

static size_t at_least_1(int n) {
    return n > 0 ? (size_t)n : 1;
}

static size_t piece_size(const piece *p) {
    return at_least_1(p->gates) * (size_t)p->u * at_least_1(p->c) * at_least_1(p->kernel);
}

/* Where PyTorch's element i, of [gates u][c][kernel], stands in [kernel][c][gates u] with the GRU's gates as z r n. */
static size_t native(const piece *p, size_t i) {
    size_t c = at_least_1(p->c);
    size_t kernel = at_least_1(p->kernel);
    size_t u = (size_t)p->u;
    size_t row = i / (c * kernel);
    size_t gate = row / u;
    size_t to = p->gates == 3 && gate < 2 ? 1 - gate : gate;
    return (i % kernel * c + i / kernel % c) * (at_least_1(p->gates) * u) + to * u + row % u;
}

static void put(bml_nn *net, const piece *p, int n) {
    real *to = bml_nn_params(net);
    size_t total = 0;
    for (int j = 0; j < n; j++)
        total += piece_size(&p[j]);
    if (total != bml_nn_n_params(net)) {
        CHECK(0, "the net has %zu parameters, expected %zu", bml_nn_n_params(net), total);
        return;
    }
    for (int j = 0; j < n; to += piece_size(&p[j++]))
        for (size_t i = 0; i < piece_size(&p[j]); i++)
            to[native(&p[j], i)] = (real)(formula(p[j].k, i, p[j].s) + (p[j].k_2 ? formula(p[j].k_2, i, p[j].s) : 0));
}

/* The pieces of a recurrent layer from tensor k on; returns how many. kind: BML_NN_GRU, _LSTM, _RNN. */
static int recurrent(piece *p, const bml_nn_layer *l, int k, int c, double s) {
    int gates = l->kind == BML_NN_GRU ? 3 : l->kind == BML_NN_LSTM ? 4 : 1;
    int n = 0;
    piece w = {"r.weight_ih_l0", NULL, 0, 0, 0, 0, 0, 0, 0};
    w.s = s;
    w.gates = gates;
    w.u = l->units;
    p[n] = w;
    p[n].k = k;
    p[n++].c = c;
    p[n] = w;
    p[n].name = "r.weight_hh_l0";
    p[n].k = k + 1;
    p[n++].c = l->units;
    p[n] = w;
    p[n].name = "r.bias_ih_l0";
    p[n++].k = k + 2;
    if (gates == 3) {
        if (!l->reset_before) {
            p[n] = w;
            p[n].name = "r.bias_hh_l0";
            p[n++].k = k + 3;
        }
    } else {
        p[n - 1].k_2 = k + 3;
        p[n - 1].name_2 = "r.bias_hh_l0";
    }
    return n;
}

static bml_nn *make(const bml_nn_layer *layers, int n) {
    bml_nn_config config;
    bml_nn *net = NULL;
    memset(&config, 0, sizeof config);
    config.layers = layers;
    config.n_layers = n;
    char why[BML_NN_MESSAGE];
    int status = bml_nn_create(&net, &config, why);
    if (status) {
        CHECK(0, "bml_nn_create: %s: %s", bml_nn_strerror(status), why);
        bml_nn_free(net);
        exit(check_done() + 1);
    }
    return net;
}

/* >> comparison */

/* The bound for a chain of so many rounded operations one after another on numbers up to `size`: each rounds by half
   a unit in the last place, and the layers here do not magnify what came before. The fixtures have fifteen digits. */
static double bound(double roundings, double size) {
    return (roundings * 0.5 * (sizeof(real) == sizeof(float) ? (double)FLT_EPSILON : DBL_EPSILON) + 1e-14) * size;
}

/* The larger of two differences; NaN once either is. */
static double worse(double worst, double d) {
    return worst >= d || isnan(worst) ? worst : d;
}

static void compare(const char *name, const real *got, size_t stride, const double *want, size_t n, double tol) {
    double worst = 0;
    for (size_t i = 0; i < n; i++)
        worst = worse(worst, fabs((double)got[i * stride] - want[i]));
    CHECK_LE(worst, tol, name);
}
#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define COMPARE(name, got, fixture, tol) compare(name, got, 1, fixture, COUNT(fixture), tol)

static void predict(bml_nn *net, real *y, const real *x, size_t n) {
    int status = bml_nn_predict(net, NULL, y, x, n);
    if (status) CHECK(0, "bml_nn_predict: %s: %s", bml_nn_strerror(status), bml_nn_message(net));
}

/* >> dense layers and activations */

static const struct {
    const char *name;
    int id;
    const double *dense, *points;
} activations[] = {{"linear", BML_NN_LINEAR, fx_dense_linear, fx_points_linear},
                   {"relu", BML_NN_RELU, fx_dense_relu, fx_points_relu},
                   {"leaky relu", BML_NN_LEAKY_RELU, fx_dense_leaky_relu, fx_points_leaky_relu},
                   {"tanh", BML_NN_TANH, fx_dense_tanh, fx_points_tanh},
                   {"sigmoid", BML_NN_SIGMOID, fx_dense_sigmoid, fx_points_sigmoid},
                   {"softplus", BML_NN_SOFTPLUS, fx_dense_softplus, fx_points_softplus},
                   {"silu", BML_NN_SILU, fx_dense_silu, fx_points_silu},
                   {"gelu", BML_NN_GELU, fx_dense_gelu, fx_points_gelu},
                   {"hardtanh", BML_NN_HARDTANH, fx_dense_hardtanh, fx_points_hardtanh},
                   {"softmax", BML_NN_SOFTMAX, fx_dense_softmax, NULL}};

static bml_nn *dense_net(int in, int out, int activation) {
    bml_nn_layer l[2] = {{0}, {0}};
    l[0].kind = BML_NN_INPUT;
    l[0].features = in;
    l[1].kind = BML_NN_DENSE;
    l[1].units = out;
    l[1].activation = activation;
    l[1].name = "d";
    return make(l, 2);
}

static void identity(bml_nn *net, int n) {
    real *w = bml_nn_params(net);
    for (int i = 0; i < n * n + n; i++)
        w[i] = i < n * n && i % (n + 1) == 0;
}

static void test_dense(void) {
    static const piece p[] = {{"d.weight", NULL, 2, 0, 1, 4, 3, 0, 0}, {"d.bias", NULL, 3, 0, 1, 4, 0, 0, 0}};
    static const real points[] = {-100, -20, -8.5, -3, -1, -0.25, 0, 0.125, 0.75, 2.5, 9, 100};
    static const real large[] = {1000, 999, -1000, -1000, -1001.5, -1000.25};
    real x[6];
    real y[24];
    real dx[24];
    char name[64];
    fill(x, 1, 6, 2);
    bml_nn *net;
    size_t j;
    for (size_t i = 0; i < COUNT(activations); i++) {
        net = dense_net(3, 4, activations[i].id);
        put(net, p, 2);
        predict(net, y, x, 2);
        snprintf(name, sizeof name, "dense, %s", activations[i].name);
        /* three products and a bias, sums up to 7, and three units in the last place for the function */
        compare(name, y, 1, activations[i].dense, 8, bound(4 * 7 + 6, 1));
        bml_nn_free(net);
        if (!activations[i].points) continue;
        net = dense_net(1, 1, activations[i].id);
        identity(net, 1);
        predict(net, y, points, COUNT(points));
        for (j = 0; j < COUNT(points); j++) { /* relative: where the function is large, and where it is tiny */
            double want = activations[i].points[j];
            double d = fabs((double)y[j] - want);
            if (!(d <= bound(6, 1) * (fabs(want) > 1 ? fabs(want) : 1))) break;
        }
        CHECK(j == COUNT(points), "%s at twelve points from -100 to 100%s", activations[i].name,
              j < COUNT(points) ? ": wrong" : "");
        bml_nn_gradient(net, NULL, dx, 0, points, COUNT(points));
        for (j = 0; j < COUNT(points) && isfinite(dx[j]); j++)
            continue;
        CHECK(j == COUNT(points), "%s: its derivative is finite there", activations[i].name);
        bml_nn_free(net);
    }
    net = dense_net(3, 3, BML_NN_SOFTMAX);
    identity(net, 3);
    predict(net, y, large, 2);
    COMPARE("softmax of numbers around 1000", y, fx_softmax_large, bound(8, 1));
    bml_nn_free(net);
}

#ifdef BML_NN_DOUBLE
static void test_accuracy(void) {
    SKIP("the promise of 3 units in the last place is for float");
}
#else
/* Units in the last place of float between got and the true value. */
static double ulps(float got, double want) {
    int e;
    frexp(want, &e);
    return fabs((double)got - want) / ldexp(1, e - 24 < -149 ? -149 : e - 24);
}

/* Every 4093rd float: a million of both signs and all magnitudes. The header promises 3 units in the last place for
   tanh and the logistic function, and that the latter is held at 1.6e-38 below -87. */
static void test_accuracy(void) {
    static const struct {
        const char *name;
        int id;
        double limit;
    } rows[] = {{"tanh", BML_NN_TANH, 3}, {"sigmoid", BML_NN_SIGMOID, 3}};
    enum { CHUNK = 8192 };
    static float x[CHUNK];
    static float y[CHUNK];
    size_t n = 0;
    for (size_t r = 0; r < COUNT(rows); r++) {
        bml_nn *net = dense_net(1, 1, rows[r].id);
        double worst = 0;
        float worst_at = 0;
        char name[96];
        uint64_t bits = 0;
        identity(net, 1);
        for (n = 0; bits < 0x100000000u; bits += 4093) {
            uint32_t b = (uint32_t)bits;
            memcpy(&x[n], &b, 4);
            if (isfinite(x[n])) n++;
            if (n < CHUNK && bits + 4093 < 0x100000000u) continue;
            predict(net, y, x, n);
            for (size_t i = 0; i < n; i++) {
                double v = (double)x[i];
                double want = rows[r].id == BML_NN_TANH ? tanh(v) : 1 / (1 + exp(-v));
                double d = ulps(y[i], want);
                if (rows[r].id == BML_NN_SIGMOID && v < -87) d = y[i] >= 0 && (double)y[i] < 1.65e-38 ? 0 : HUGE_VAL;
                if (!(d <= worst) && !isnan(worst)) {
                    worst = d;
                    worst_at = x[i];
                }
            }
            n = 0;
        }
        snprintf(name, sizeof name, "%s over all floats, units in the last place (worst at %.9g)", rows[r].name,
                 (double)worst_at);
        CHECK_LE(worst, rows[r].limit, name);
        bml_nn_free(net);
    }
}
#endif

/* >> recurrent layers */

static void test_recurrent(void) {
    static const struct {
        const char *name;
        int kind, before;
        const double *all, *bi_all, *bi_end;
    } rows[] = {{"GRU", BML_NN_GRU, 0, fx_gru_seq, fx_gru_bi_seq, fx_gru_bi_last},
                {"GRU, reset before", BML_NN_GRU, 1, fx_gru_before_seq, fx_gru_before_bi_seq, fx_gru_before_bi_last},
                {"LSTM", BML_NN_LSTM, 0, fx_lstm_seq, fx_lstm_bi_seq, fx_lstm_bi_last},
                {"RNN", BML_NN_RNN, 0, fx_rnn_seq, fx_rnn_bi_seq, fx_rnn_bi_last}};
    /* In each of four steps: five products and two biases, each below 0.6, summed to at most 4 (seven roundings of it);
       three functions of three units each, and four roundings that mix them. The logistic function has slope 1/4 and
       the state weighs less than 1, so that what came before is not magnified. */
    const double tol = bound(4 * (7 * 0.6 + 7 * 4 + 3 * 6 + 4), 1);
    bml_nn_layer l[2] = {{0}, {0}};
    piece p[MAX_PIECES];
    real x[16];
    real y[48];
    char name[64];
    fill(x, 1, 16, 1);
    l[0].kind = BML_NN_INPUT;
    l[0].steps = 4;
    l[0].features = 2;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int way = 0; way < 4; way++) {
            int sequence = way & 1;
            l[1].kind = rows[i].kind;
            l[1].units = 3;
            l[1].reset_before = rows[i].before;
            l[1].sequence = sequence;
            l[1].bidirectional = way >> 1;
            int n = recurrent(p, &l[1], 2, 2, 0.6);
            if (l[1].bidirectional) n += recurrent(p + n, &l[1], 6, 2, 0.6);
            bml_nn *net = make(l, 2);
            put(net, p, n);
            CHECK(bml_nn_n_out(net) == (size_t)(3 * (1 + way / 2) * (sequence ? 4 : 1)), "%s gives %zu numbers a row",
                  rows[i].name, bml_nn_n_out(net));
            predict(net, y, x, 2);
            snprintf(name, sizeof name, "%s, %s%s", rows[i].name, way > 1 ? "both ways, " : "",
                     sequence ? "all steps" : "the end");
            if (way == 0) {
                compare(name, y, 1, rows[i].all + 9, 3, tol);
                compare(name, y + 3, 1, rows[i].all + 21, 3, tol);
            }
            if (way == 1) compare(name, y, 1, rows[i].all, 24, tol);
            if (way == 2) compare(name, y, 1, rows[i].bi_end, 12, tol);
            if (way == 3) compare(name, y, 1, rows[i].bi_all, 24, tol);
            bml_nn_free(net);
        }
}

/* >> convolution and pooling */

static void test_conv(void) {
    static const struct {
        const char *name;
        int steps, kernel, stride, same;
        const double *want;
        size_t n;
    } rows[] = {
        {"conv, 7 steps, kernel 3", 7, 3, 0, 0, fx_conv_t7_k3_s1_valid, COUNT(fx_conv_t7_k3_s1_valid)},
        {"conv, 7 steps, kernel 3, same", 7, 3, 1, 1, fx_conv_t7_k3_s1_same, COUNT(fx_conv_t7_k3_s1_same)},
        {"conv, 7 steps, kernel 3, stride 2", 7, 3, 2, 0, fx_conv_t7_k3_s2_valid, COUNT(fx_conv_t7_k3_s2_valid)},
        {"conv, 7 steps, kernel 3, stride 2, same", 7, 3, 2, 1, fx_conv_t7_k3_s2_same, COUNT(fx_conv_t7_k3_s2_same)},
        {"conv, 8 steps, kernel 3, stride 2, same", 8, 3, 2, 1, fx_conv_t8_k3_s2_same, COUNT(fx_conv_t8_k3_s2_same)},
        {"conv, 8 steps, kernel 4, same", 8, 4, 1, 1, fx_conv_t8_k4_s1_same, COUNT(fx_conv_t8_k4_s1_same)},
        {"conv, 8 steps, kernel 4, stride 3, same", 8, 4, 3, 1, fx_conv_t8_k4_s3_same, COUNT(fx_conv_t8_k4_s3_same)},
        {"conv, 8 steps, kernel 5, stride 2", 8, 5, 2, 0, fx_conv_t8_k5_s2_valid, COUNT(fx_conv_t8_k5_s2_valid)},
        {"conv, 7 steps, kernel 1, stride 2, same", 7, 1, 2, 1, fx_conv_t7_k1_s2_same, COUNT(fx_conv_t7_k1_s2_same)}};
    piece p[2] = {{"c.weight", NULL, 2, 0, 0.6, 3, 2, 0, 0}, {"c.bias", NULL, 3, 0, 0.6, 3, 0, 0, 0}};
    bml_nn_layer l[2] = {{0}, {0}};
    real x[24];
    real y[24];
    fill(x, 1, 24, 1);
    l[0].kind = BML_NN_INPUT;
    l[0].features = 2;
    l[1].kind = BML_NN_CONV;
    l[1].units = 3;
    for (size_t i = 0; i < COUNT(rows); i++) {
        l[0].steps = rows[i].steps;
        l[1].kernel = p[0].kernel = rows[i].kernel;
        l[1].stride = rows[i].stride;
        l[1].same = rows[i].same;
        bml_nn *net = make(l, 2);
        put(net, p, 2);
        CHECK(bml_nn_n_out(net) == rows[i].n, "%s: %zu numbers", rows[i].name, bml_nn_n_out(net));
        if (bml_nn_n_out(net) == rows[i].n) {
            predict(net, y, x, 1);
            compare(rows[i].name, y, 1, rows[i].want, rows[i].n,
                    bound(2 * 5 + 1, 0.6 * 5)); /* ten products and a bias */
        }
        bml_nn_free(net);
    }
}

static void test_pool(void) {
    static const struct {
        const char *name;
        int kernel, stride;
        const double *want;
        size_t n;
    } pools[] = {{"pool 2", 0, 0, fx_pool_k2_s2, COUNT(fx_pool_k2_s2)},
                 {"pool 3, stride 2", 3, 2, fx_pool_k3_s2, COUNT(fx_pool_k3_s2)},
                 {"pool 3, stride 1", 3, 1, fx_pool_k3_s1, COUNT(fx_pool_k3_s1)},
                 {"pool 3", 3, 0, fx_pool_k3_s3, COUNT(fx_pool_k3_s3)},
                 {"pool 2, stride 1", 2, 1, fx_pool_k2_s1, COUNT(fx_pool_k2_s1)}};
    bml_nn_layer l[2] = {{0}, {0}};
    real x[24];
    real y[24];
    fill(x, 1, 24, 1);
    l[0].kind = BML_NN_INPUT;
    l[0].steps = 8;
    l[0].features = 3;
    l[1].kind = BML_NN_POOL;
    for (size_t i = 0; i < COUNT(pools); i++) {
        l[1].kernel = pools[i].kernel;
        l[1].stride = pools[i].stride;
        bml_nn *net = make(l, 2);
        CHECK(bml_nn_n_out(net) == pools[i].n, "%s: %zu numbers", pools[i].name, bml_nn_n_out(net));
        if (bml_nn_n_out(net) == pools[i].n) {
            predict(net, y, x, 1);
            compare(pools[i].name, y, 1, pools[i].want, pools[i].n, bound(0, 1));
        }
        bml_nn_free(net);
    }
}

/* >> a NaN must be seen */

/* A NaN in row 1 of 3 makes all of that row NaN, in a window of a sequence what that window gives, and nothing else. */
static void test_nan(void) {
    static const char *const kinds[] = {"GRU", "LSTM", "RNN", "conv", "pool"};
    bml_nn_layer l[2] = {{0}, {0}};
    real x[18];
    real y[18];
    fill(x, 1, 18, 1);
    size_t wrong;
    bml_nn *net;
    for (size_t i = 0; i < COUNT(activations); i++)
        for (size_t j = 0; j < 3; j++) {
            real keep = x[3 + j];
            net = dense_net(3, 3, activations[i].id);
            x[3 + j] = (real)NAN;
            predict(net, y, x, 3);
            for (wrong = 0; wrong < 9; wrong++)
                if ((isnan(y[wrong]) != 0) != (wrong / 3 == 1)) break;
            CHECK(wrong == 9, "a NaN as input %zu of a dense layer, %s, is seen in its row alone", j,
                  activations[i].name);
            x[3 + j] = keep;
            bml_nn_free(net);
        }
    for (size_t i = BML_NN_GRU; i <= BML_NN_POOL; i++)
        for (size_t j = 0; j < 6; j++) { /* rows of 6 steps; all steps, kernels of 3 steps that begin with the first */
            real keep = x[6 + j];
            size_t steps = i < BML_NN_CONV ? 6 : 4;
            memset(l, 0, sizeof l);
            l[0].kind = BML_NN_INPUT;
            l[0].steps = 6;
            l[0].features = 1;
            l[1].kind = (int)i;
            l[1].units = i < BML_NN_POOL;
            l[1].sequence = 1;
            if (i == BML_NN_RNN) l[1].activation = BML_NN_RELU;
            if (i >= BML_NN_CONV) {
                l[1].sequence = 0;
                l[1].kernel = 3;
                l[1].stride = 1;
            }
            net = make(l, 2);
            x[6 + j] = (real)NAN;
            predict(net, y, x, 3);
            for (wrong = 0; wrong < 3 * steps; wrong++) {
                size_t t = wrong % steps;
                int hit = wrong / steps == 1 && (i < BML_NN_CONV ? t >= j : t <= j && j < t + 3);
                if ((isnan(y[wrong]) != 0) != hit) break;
            }
            CHECK(wrong == 3 * steps, "a NaN at step %zu of a sequence: %s gives a NaN wherever it has a part", j,
                  kinds[i - BML_NN_GRU]);
            x[6 + j] = keep;
            bml_nn_free(net);
        }
}

/* >> a file in another program's order, written here byte by byte */

typedef struct file_text {
    char head[16384];
    unsigned char data[1 << 16];
    size_t n_head, n_data;
} file_text;

static void add_tensor(file_text *f, const char *name, const char *shape, const double *v, size_t n) {
    size_t start = f->n_data;
    for (size_t i = 0; i < n; i++) {
        float value = (float)v[i];
        uint32_t bits;
        memcpy(&bits, &value, 4);
        f->data[f->n_data++] = bits & 255;
        f->data[f->n_data++] = bits >> 8 & 255;
        f->data[f->n_data++] = bits >> 16 & 255;
        f->data[f->n_data++] = (unsigned char)(bits >> 24);
    }
    f->n_head += (size_t)snprintf(f->head + f->n_head, sizeof f->head - f->n_head,
                                  "%c\"%s\": {\"dtype\": \"F32\", \"shape\": [%s], \"data_offsets\": [%zu, %zu]}",
                                  f->n_head ? ',' : '{', name, shape, start, f->n_data);
}

/* `layer` takes the place of "r" before the dot; `back` is "_reverse" or "". */
static void add_piece(file_text *f, const piece *p, const char *layer, const char *back) {
    static double v[16384];
    char name[128];
    char shape[64];
    size_t n = piece_size(p);
    int rows = p->u * (p->gates ? p->gates : 1);
    for (int second = 0; second < (p->name_2 ? 2 : 1); second++) {
        const char *given = second ? p->name_2 : p->name;
        for (size_t i = 0; i < n; i++)
            v[i] = formula(second ? p->k_2 : p->k, i, p->s);
        snprintf(name, sizeof name, "%s%s%s", layer, strchr(given, '.'), back);
        if (p->kernel)
            snprintf(shape, sizeof shape, "%d, %d, %d", rows, p->c, p->kernel);
        else if (p->c)
            snprintf(shape, sizeof shape, "%d, %d", rows, p->c);
        else
            snprintf(shape, sizeof shape, "%d", rows);
        add_tensor(f, name, shape, v, n);
    }
}

static const char *write_file(file_text *f) {
    static const char path[] = "test_nn_forward.tmp";
    FILE *out = fopen(path, "wb");
    f->head[f->n_head++] = '}';
    if (!out) return path;
    for (int i = 0; i < 8; i++)
        fputc(i < 4 ? (int)(f->n_head >> 8 * i & 255) : 0, out);
    fwrite(f->head, 1, f->n_head, out);
    fwrite(f->data, 1, f->n_data, out);
    fclose(out);
    return path;
}

/* Loads the file into a net and compares with what put() gives. */
static void check_load(const char *what, bml_nn *net, const piece *p, int n, file_text *f, int convention) {
    size_t size = bml_nn_n_params(net);
    const char *path = write_file(f);
    double worst = 0;
    real *copy = (real *)malloc(size * sizeof *copy);
    int status = bml_nn_load_weights(net, path, convention);
    remove(path);
    CHECK(copy && !status, "%s: %s %s", what, bml_nn_strerror(status), bml_nn_message(net));
    if (copy && !status) {
        memcpy(copy, bml_nn_params(net), size * sizeof *copy);
        put(net, p, n);
        for (size_t i = 0; i < size; i++)
            worst = worse(worst, fabs((double)copy[i] - (double)bml_nn_params(net)[i]));
        CHECK_LE(worst, bound(4, 1), what); /* two biases below 0.6 are added, else nothing is computed */
    }
    free(copy);
    bml_nn_free(net);
}

static void test_pytorch_recurrent(void) {
    static const struct {
        const char *what;
        int kind, both;
    } rows[] = {{"PyTorch's GRU from a file", BML_NN_GRU, 0},
                {"PyTorch's LSTM from a file", BML_NN_LSTM, 0},
                {"PyTorch's RNN from a file", BML_NN_RNN, 0},
                {"PyTorch's GRU, both ways, from a file", BML_NN_GRU, 1},
                {"PyTorch's LSTM, both ways, from a file", BML_NN_LSTM, 1},
                {"PyTorch's RNN, both ways, from a file", BML_NN_RNN, 1}};
    static file_text f;
    bml_nn_layer l[2] = {{0}, {0}};
    piece p[MAX_PIECES];
    l[0].kind = BML_NN_INPUT;
    l[0].steps = 4;
    l[0].features = 2;
    int m;
    for (size_t i = 0; i < COUNT(rows); i++) {
        memset(&f, 0, sizeof f);
        l[1].kind = rows[i].kind;
        l[1].units = 3;
        l[1].bidirectional = rows[i].both;
        l[1].name = "cell-7";
        int n = m = recurrent(p, &l[1], 2, 2, 0.6);
        if (rows[i].both) n += recurrent(p + n, &l[1], 6, 2, 0.6);
        for (int j = n - 1; j >= 0; j--)
            add_piece(&f, &p[j], "cell-7", j >= m ? "_reverse" : ""); /* any order will do */
        check_load(rows[i].what, make(l, 2), p, n, &f, BML_NN_PYTORCH);
    }
}

/* >> normalisation */

typedef struct captured {
    real y[64];
    size_t n;
} captured;
static double capture(const bml_nn_batch *batch, void *user) {
    captured *c = (captured *)user;
    c->n = (size_t)batch->n * batch->n_out;
    memcpy(c->y, batch->prediction, c->n * sizeof(real));
    memset(batch->gradient, 0, c->n * sizeof(real));
    return 0;
}

static const piece norm_pieces[] = {{"n.weight", NULL, 2, 0, 1, 4, 0, 0, 0}, {"n.bias", NULL, 3, 0, 1, 4, 0, 0, 0}};

static bml_nn *norm_net(int kind, int steps, int features) {
    bml_nn_layer l[2] = {{0}, {0}};
    piece p[2];
    l[0].kind = BML_NN_INPUT;
    l[0].steps = steps;
    l[0].features = features;
    l[1].kind = kind;
    l[1].name = "n";
    p[0] = norm_pieces[0];
    p[1] = norm_pieces[1];
    p[0].u = p[1].u = features;
    bml_nn *net = make(l, 2);
    put(net, p, 2);
    return net;
}

static void train_once(bml_nn *net, const real *x, size_t n, captured *c) {
    bml_nn_training how;
    memset(&how, 0, sizeof how);
    how.x = x;
    how.n = n;
    how.batch = (int)n;
    how.in_order = 1;
    how.epochs = 1;
    how.keep_last = 1;
    how.loss = BML_NN_CUSTOM;
    how.loss_fn = capture;
    how.loss_user = c;
    how.optimizer = BML_NN_SGD;
    int status = bml_nn_train(net, &how, NULL);
    CHECK(!status, "training one batch: %s %s", bml_nn_strerror(status), bml_nn_message(net));
}

static void test_norm(void) {
    const double tol = bound(40, 2); /* sums of five numbers below 2, a root, a division by a spread above 1/2 */
    static captured c;
    static file_text f;
    real x[24];
    real y[24];
    double v[4];
    bml_nn *net = norm_net(BML_NN_LAYER_NORM, 0, 4);
    fill(x, 1, 20, 2);
    predict(net, y, x, 5);
    COMPARE("layer norm", y, fx_layer_norm, tol);
    bml_nn_free(net);

    net = norm_net(BML_NN_BATCH_NORM, 0, 4);
    train_once(net, x, 5, &c);
    COMPARE("batch norm in training", c.y, fx_bn_train, tol);
    predict(net, y, x, 5);
    COMPARE("batch norm after one batch: running mean and variance", y, fx_bn_after, tol);
    for (int i = 0; i < 2; i++)
        add_piece(&f, &norm_pieces[i], "n", "");
    for (int i = 0; i < 4; i++)
        v[i] = formula(4, (size_t)i, 0.5);
    add_tensor(&f, "n.running_mean", "4", v, 4);
    for (int i = 0; i < 4; i++)
        v[i] = 1 + formula(5, (size_t)i, 0.5);
    add_tensor(&f, "n.running_var", "4", v, 4);
    add_tensor(&f, "n.num_batches_tracked", "", v, 0); /* made an int64 of eight bytes here: */
    memset(f.data + f.n_data, 0, 8);
    f.n_data += 8;
    f.n_head = (size_t)(strstr(f.head, ",\"n.num") - f.head);
    f.n_head +=
        (size_t)snprintf(f.head + f.n_head, 128,
                         ",\"n.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[%zu,%zu]}",
                         f.n_data - 8, f.n_data);
    const char *path = write_file(&f);
    int status = bml_nn_load_weights(net, path, BML_NN_PYTORCH);
    remove(path);
    CHECK(!status, "PyTorch's batch norm from a file: %s %s", bml_nn_strerror(status), bml_nn_message(net));
    predict(net, y, x, 5);
    COMPARE("batch norm at inference", y, fx_bn_infer, tol + 1e-7); /* 1 + k=5 was rounded to float in the file */
    bml_nn_free(net);

    fill(x, 1, 24, 2);
    net = norm_net(BML_NN_BATCH_NORM, 4, 3);
    train_once(net, x, 2, &c);
    COMPARE("batch norm of sequences in training", c.y, fx_bn_seq_train, tol);
    bml_nn_free(net);
    net = norm_net(BML_NN_LAYER_NORM, 4, 3);
    predict(net, y, x, 2);
    COMPARE("layer norm of sequences", y, fx_layer_norm_seq, tol);
    bml_nn_free(net);
}

/* >> losses and optimizers */

/* Rows of the identity as inputs and no bias: the predictions are the weights, [3][4], and the gradient with respect to
   them is what one step of gradient descent at rate 1 takes away. */
static void check_loss(const char *name, int loss, const double *p, const double *t, const double *class_weights,
                       const double *want) {
    real x[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    real y[12];
    real g[12];
    char text[96];
    double size = 1;
    /* a layer that drops nothing after the linear one: the loss cannot know that these are no probabilities by their making */
    bml_nn_layer layers[3];
    memset(layers, 0, sizeof layers);
    layers[0].features = 3;
    layers[1].kind = BML_NN_DENSE;
    layers[1].units = 4;
    layers[2].kind = BML_NN_DROPOUT;
    bml_nn *net = make(layers, 3);
    real *w = bml_nn_params(net);
    for (int i = 0; i < 16; i++)
        w[i] = i < 12 ? (real)p[i] : 0;
    for (int i = 0; i < 12; i++) {
        y[i] = (real)t[i];
        if (fabs(p[i]) > size) size = fabs(p[i]);
    }
    bml_nn_training how;
    memset(&how, 0, sizeof how);
    bml_nn_epoch report;
    memset(&report, 0, sizeof report);
    how.x = x;
    how.y = y;
    how.n = 3;
    how.batch = 3;
    how.epochs = 1;
    how.in_order = 1;
    how.keep_last = 1;
    how.loss = loss;
    how.class_weights = class_weights;
    how.optimizer = BML_NN_SGD;
    how.learning_rate = 1;
    int status = bml_nn_train(net, &how, &report);
    CHECK(!status, "%s: %s %s", name, bml_nn_strerror(status), bml_nn_message(net));
    for (int i = 0; i < 12; i++)
        g[i] = (real)((double)(real)p[i] - (double)w[i]);
    snprintf(text, sizeof text, "%s: value", name);
    CHECK_NEAR(report.loss, want[0], bound(8, 1) * (want[0] > 1 ? want[0] : 1), text);
    snprintf(text, sizeof text, "%s: gradient", name);
    compare(text, g, 1, want + 1, 12, bound(2, size) + bound(8, 1)); /* the subtraction rounds as the weights do */
    bml_nn_free(net);
}

static void test_losses(void) {
    static const double class_weights[4] = {0.5, 2, 1.25, 3};
    double p[12];
    double t[12];
    double p_pos[12];
    double t_pos[12];
    double prob[12];
    double t01[12];
    double large[12];
    double hot[12] = {0};
    double soft[12];
    for (int i = 0; i < 12; i++) {
        p[i] = formula(1, (size_t)i, 2);
        t[i] = formula(2, (size_t)i, 2);
        large[i] = formula(1, (size_t)i, 120);
        p_pos[i] = rounded(2.5 + p[i]);
        t_pos[i] = rounded(2.5 + t[i]);
        prob[i] = rounded(0.5 + formula(1, (size_t)i, 0.45));
        t01[i] = formula(2, (size_t)i, 1) > 0;
    }
    hot[2] = hot[4] = hot[11] = 1;
    for (int i = 0; i < 12; i += 4) {
        double sum = 0;
        for (int j = 0; j < 4; j++)
            sum += exp(p[i + j]);
        for (int j = 0; j < 4; j++)
            soft[i + j] = rounded(exp(p[i + j]) / sum);
    }
    check_loss("MSE", BML_NN_MSE, p, t, NULL, fx_loss_mse);
    check_loss("MAE", BML_NN_MAE, p, t, NULL, fx_loss_mae);
    check_loss("MSLE", BML_NN_MSLE, p_pos, t_pos, NULL, fx_loss_msle);
    check_loss("MSLE, negative values held at 0", BML_NN_MSLE, p, t, NULL, fx_loss_msle_clipped_0);
    check_loss("binary cross-entropy", BML_NN_BINARY, prob, t01, NULL, fx_loss_bce);
    check_loss("binary cross-entropy from logits", BML_NN_BINARY_LOGITS, p, t01, NULL, fx_loss_bce_logits);
    check_loss("the same, large", BML_NN_BINARY_LOGITS, large, t01, NULL, fx_loss_bce_logits_large);
    check_loss("categorical cross-entropy", BML_NN_CATEGORICAL, soft, hot, NULL, fx_loss_ce_probs);
    check_loss("categorical cross-entropy from logits", BML_NN_CATEGORICAL_LOGITS, p, hot, NULL, fx_loss_ce_logits);
    check_loss("the same, large", BML_NN_CATEGORICAL_LOGITS, large, hot, NULL, fx_loss_ce_logits_large);
    check_loss("the same with class weights", BML_NN_CATEGORICAL_LOGITS, p, hot, class_weights,
               fx_loss_ce_logits_weighted_sum);
}

static void test_optimizers(void) {
    static const piece pieces[] = {{"d.weight", NULL, 3, 0, 1, 2, 2, 0, 0}, {"d.bias", NULL, 4, 0, 1, 2, 0, 0, 0}};
    static const struct {
        const char *name;
        int id;
        double rate, momentum, clip, l2, decay;
        const double *want;
        double x; /* scale of the inputs, 0 = 1 */
    } rows[] = {{"SGD", BML_NN_SGD, 0.1, 0, 0, 0, 0, fx_opt_sgd, 0},
                {"SGD with momentum", BML_NN_SGD, 0.1, 0.9, 0, 0, 0, fx_opt_sgd_momentum, 0},
                {"SGD, clipped", BML_NN_SGD, 0.1, 0, 0.5, 0, 0, fx_opt_sgd_clip, 0},
                {"SGD with L2", BML_NN_SGD, 0.1, 0, 0, 0.05, 0, fx_opt_sgd_l2, 0},
                {"RMSprop", BML_NN_RMSPROP, 0.01, 0, 0, 0, 0, fx_opt_rmsprop, 0},
                {"Adam", BML_NN_ADAM, 0.05, 0, 0, 0, 0, fx_opt_adam, 0},
                {"Adam with L2", BML_NN_ADAM, 0.05, 0, 0, 0.05, 0, fx_opt_adam_l2, 0},
                {"AdamW", BML_NN_ADAMW, 0.05, 0, 0, 0, 0.1, fx_opt_adamw, 0},
                {"RMSprop, tiny gradients", BML_NN_RMSPROP, 0.01, 0, 0, 0, 0, fx_opt_rmsprop_tiny, 1e-7},
                {"Adam, tiny gradients", BML_NN_ADAM, 0.05, 0, 0, 0, 0, fx_opt_adam_tiny, 1e-7}};
    real x[6];
    real y[6];
    fill(y, 2, 6, 1);
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int five = 0; five < 2; five++) {
            bml_nn *net = dense_net(2, 2, BML_NN_LINEAR);
            bml_nn_training how;
            real got[6];
            char name[64];
            /* PyTorch clips by 0.5/(norm + 1e-6): each of the steps of 0.1 0.5 is at most 2e-6 of itself smaller. */
            double tol = bound(5 * 16, 1) + (rows[i].clip > 0 ? 5 * 0.05 * 2e-6 : 0);
            memset(&how, 0, sizeof how);
            put(net, pieces, 2);
            fill(x, 1, 6, rows[i].x > 0 ? rows[i].x : 1);
            how.x = x;
            how.y = y;
            how.n = 3;
            how.batch = 3;
            how.in_order = 1;
            how.keep_last = 1;
            how.epochs = five ? 5 : 1;
            how.optimizer = rows[i].id;
            how.learning_rate = rows[i].rate;
            how.momentum = rows[i].momentum;
            how.clip = rows[i].clip;
            how.l2 = rows[i].l2;
            how.weight_decay = rows[i].decay;
            int status = bml_nn_train(net, &how, NULL);
            CHECK(!status, "%s: %s %s", rows[i].name, bml_nn_strerror(status), bml_nn_message(net));
            for (size_t j = 0; j < 6; j++)
                got[j] = bml_nn_params(net)[j < 4 ? native(&pieces[0], j) : j];
            snprintf(name, sizeof name, "%s, %s", rows[i].name, five ? "five steps" : "one step");
            compare(name, got, 1, rows[i].want + 6 * five, 6, tol);
            bml_nn_free(net);
        }
}

/* >> gradients */

typedef struct wanted {
    const char *name;
    const double *v;
    size_t n;
} wanted;
#define WANTED(net, tensor) \
    { #net ", gradient of " #tensor, fx_##net##_d_##tensor, COUNT(fx_##net##_d_##tensor) }

/* Gradients are below 1 and come from sums of products below 1 over 3 rows, up to 8 steps and 16 terms. */
static double gradient_bound(void) {
    return bound(60, 1);
}

static void check_inputs(bml_nn *net, const char *what, const real *x, const double *out, const double *d_input,
                         const double *saliency, size_t n_in, size_t stride) {
    real y[6];
    real t[6];
    real dy[6];
    real dx[48];
    char name[64];
    size_t n = (3 * n_in + stride - 1) / stride;
    fill(t, 90, 6, 1);
    predict(net, y, x, 3);
    snprintf(name, sizeof name, "%s, output", what);
    compare(name, y, 1, out, 6, bound(60, 1));
    for (size_t i = 0; i < 6; i++)
        dy[i] = 2 * (y[i] - t[i]) / 6;
    CHECK(!bml_nn_vjp(net, NULL, dx, y, dy, x, 3), "%s, product with the Jacobian", what);
    compare(name, y, 1, out, 6, bound(60, 1));
    snprintf(name, sizeof name, "%s, gradient of the input", what);
    compare(name, dx, stride, d_input, n, gradient_bound());
    CHECK(!bml_nn_gradient(net, NULL, dx, 0, x, 3), "%s, gradient of output 0", what);
    snprintf(name, sizeof name, "%s, gradient of output 0", what);
    compare(name, dx, stride, saliency, n, gradient_bound());
}

/* The gradient with respect to all parameters: the difference that one step of gradient descent at rate 1 makes. */
static void check_gradients(bml_nn *net, const real *x, double loss, const piece *p, const wanted *w, int n) {
    size_t start = 0;
    real t[6];
    real *before = (real *)malloc(bml_nn_n_params(net) * sizeof(real));
    real got[24];
    if (!before) return;
    bml_nn_training how;
    memset(&how, 0, sizeof how);
    bml_nn_epoch report;
    memset(&report, 0, sizeof report);
    memcpy(before, bml_nn_params(net), bml_nn_n_params(net) * sizeof(real));
    fill(t, 90, 6, 1);
    how.x = x;
    how.y = t;
    how.n = 3;
    how.batch = 3;
    how.epochs = 1;
    how.in_order = 1;
    how.keep_last = 1;
    how.optimizer = BML_NN_SGD;
    how.learning_rate = 1;
    int status = bml_nn_train(net, &how, &report);
    CHECK(!status, "one step: %s %s", bml_nn_strerror(status), bml_nn_message(net));
    CHECK_NEAR(report.loss, loss, bound(60, 1), "the loss");
    size_t m;
    size_t stride;
    size_t size;
    for (int j = 0; j < n; start += size, j++) {
        size = piece_size(&p[j]);
        for (stride = 1; (size + stride - 1) / stride > 24; stride++)
            continue;
        for (size_t i = m = 0; i < size; i += stride, m++) {
            size_t at = start + native(&p[j], i);
            got[m] = before[at] - bml_nn_params(net)[at];
        }
        if (m != w[j].n)
            CHECK(0, "%s: %zu numbers, expected %zu", w[j].name, m, w[j].n);
        else
            compare(w[j].name, got, 1, w[j].v, m, gradient_bound());
    }
    free(before);
}

static const piece branched_pieces[] = {
    {"d.weight", NULL, 2, 0, 0.5, 4, 8, 0, 0},       {"d.bias", NULL, 3, 0, 0.5, 4, 0, 0, 0},
    {"r.weight_ih_l0", NULL, 4, 0, 0.6, 3, 2, 0, 3}, {"r.weight_hh_l0", NULL, 5, 0, 0.6, 3, 3, 0, 3},
    {"r.bias_ih_l0", NULL, 6, 0, 0.6, 3, 0, 0, 3},   {"r.bias_hh_l0", NULL, 7, 0, 0.6, 3, 0, 0, 3},
    {"y.weight", NULL, 8, 0, 0.5, 2, 7, 0, 0},       {"y.bias", NULL, 9, 0, 0.5, 2, 0, 0, 0}};

/* Both branches from one input, or from two that hold the same numbers. */
static bml_nn *branched_net(int two_inputs) {
    bml_nn_layer l[7];
    int n = 0;
    memset(l, 0, sizeof l);
    l[n].kind = BML_NN_INPUT;
    l[n].name = "x";
    l[n++].features = 8;
    if (two_inputs) {
        l[n].kind = BML_NN_INPUT;
        l[n].name = "s";
        l[n].steps = 4;
        l[n++].features = 2;
    }
    l[n].kind = BML_NN_DENSE;
    l[n].name = "d";
    l[n].from[0] = "x";
    l[n].units = 4;
    l[n++].activation = BML_NN_TANH;
    if (!two_inputs) {
        l[n].kind = BML_NN_RESHAPE;
        l[n].name = "s";
        l[n].from[0] = "x";
        l[n].steps = 4;
        l[n++].features = 2;
    }
    l[n].kind = BML_NN_GRU;
    l[n].name = "r";
    l[n].from[0] = "s";
    l[n++].units = 3;
    l[n].kind = BML_NN_CONCAT;
    l[n].from[0] = "d";
    l[n++].from[1] = "r";
    l[n].kind = BML_NN_DENSE;
    l[n].name = "y";
    l[n++].units = 2;
    return make(l, n);
}

static void test_branched(void) {
    static const wanted w[] = {WANTED(branched, w1),       WANTED(branched, b1),       WANTED(branched, gru_w_ih),
                               WANTED(branched, gru_w_hh), WANTED(branched, gru_b_ih), WANTED(branched, gru_b_hh),
                               WANTED(branched, w2),       WANTED(branched, b2)};
    static file_text f;
    real x[24];
    real twice[48];
    real y[6];
    real t[6];
    real dx[48];
    real sum[24];
    bml_nn *net = branched_net(0);
    fill(x, 1, 24, 1);
    put(net, branched_pieces, 8);
    check_inputs(net, "branched", x, fx_branched_out, fx_branched_d_input, fx_branched_saliency, 8, 1);
    check_gradients(net, x, fx_branched_loss[0], branched_pieces, w, 8);
    bml_nn_free(net);

    for (size_t i = 0; i < 48; i++)
        twice[i] = x[i / 16 * 8 + i % 8];
    net = branched_net(1);
    put(net, branched_pieces, 8);
    predict(net, y, twice, 3);
    COMPARE("branched, two inputs, output", y, fx_branched_out, bound(60, 1));
    fill(t, 90, 6, 1);
    for (size_t i = 0; i < 6; i++)
        y[i] = 2 * (y[i] - t[i]) / 6;
    CHECK(!bml_nn_vjp(net, NULL, dx, NULL, y, twice, 3), "branched, two inputs, product with the Jacobian");
    for (size_t i = 0; i < 24; i++)
        sum[i] = dx[i / 8 * 16 + i % 8] + dx[i / 8 * 16 + 8 + i % 8];
    COMPARE("branched, two inputs, gradients of both", sum, fx_branched_d_input, gradient_bound());
    check_gradients(net, twice, fx_branched_loss[0], branched_pieces, w, 8);
    bml_nn_free(net);

    for (size_t i = 0; i < 8; i++)
        add_piece(&f, &branched_pieces[i], i < 2 ? "d" : i < 6 ? "r" : "y", "");
    check_load("a branched net from PyTorch's file", branched_net(0), branched_pieces, 8, &f, BML_NN_PYTORCH);
}

static bml_nn *deep_net(piece *p, int *n_pieces) {
    static const piece first[] = {{"conv.weight", NULL, 2, 0, 0.6, 3, 2, 3, 0},
                                  {"conv.bias", NULL, 3, 0, 0.6, 3, 0, 0, 0}};
    static const piece rest[] = {
        {"n.weight", NULL, 16, 0, 1, 3, 0, 0, 0},       {"n.bias", NULL, 17, 0, 1, 3, 0, 0, 0},
        {"side.weight", NULL, 18, 0, 0.5, 4, 16, 0, 0}, {"side.bias", NULL, 19, 0, 0.5, 4, 0, 0, 0},
        {"e.weight", NULL, 20, 0, 0.5, 3, 7, 0, 0},     {"e.bias", NULL, 21, 0, 0.5, 3, 0, 0, 0},
        {"y.weight", NULL, 22, 0, 0.8, 2, 3, 0, 0},     {"y.bias", NULL, 23, 0, 0.5, 2, 0, 0, 0}};
    bml_nn_layer l[11];
    int n = 2;
    memset(l, 0, sizeof l);
    l[0].kind = BML_NN_INPUT;
    l[0].name = "x";
    l[0].features = 16;
    l[1].kind = BML_NN_RESHAPE;
    l[1].steps = 8;
    l[1].features = 2;
    l[2].kind = BML_NN_CONV;
    l[2].units = 3;
    l[2].kernel = 3;
    l[2].same = 1;
    l[2].activation = BML_NN_GELU;
    l[3].kind = BML_NN_POOL;
    l[4].kind = BML_NN_LSTM;
    l[4].units = 2;
    l[4].bidirectional = 1;
    l[4].sequence = 1;
    l[5].kind = BML_NN_GRU;
    l[5].units = 3;
    l[5].reset_before = 1;
    l[6].kind = BML_NN_LAYER_NORM;
    l[6].name = "n";
    l[7].kind = BML_NN_DENSE;
    l[7].name = "side";
    l[7].from[0] = "x";
    l[7].units = 4;
    l[7].activation = BML_NN_SILU;
    l[8].kind = BML_NN_CONCAT;
    l[8].from[0] = "n";
    l[8].from[1] = "side";
    l[9].kind = BML_NN_DENSE;
    l[9].units = 3;
    l[9].activation = BML_NN_SOFTPLUS;
    l[10].kind = BML_NN_DENSE;
    l[10].units = 2;
    l[10].activation = BML_NN_SIGMOID;
    memcpy(p, first, sizeof first);
    n += recurrent(p + n, &l[4], 4, 3, 0.6);
    n += recurrent(p + n, &l[4], 8, 3, 0.6);
    n += recurrent(p + n, &l[5], 12, 4, 0.6);
    memcpy(p + n, rest, sizeof rest);
    *n_pieces = n + (int)COUNT(rest);
    return make(l, 11);
}

static void test_deep(void) {
    static const wanted w[] = {
        WANTED(deep, conv_w),    WANTED(deep, conv_b),    WANTED(deep, lstm_w_ih), WANTED(deep, lstm_w_hh),
        WANTED(deep, lstm_b),    WANTED(deep, back_w_ih), WANTED(deep, back_w_hh), WANTED(deep, back_b),
        WANTED(deep, gru_w_ih),  WANTED(deep, gru_w_hh),  WANTED(deep, gru_b),     WANTED(deep, norm_gamma),
        WANTED(deep, norm_beta), WANTED(deep, side_w),    WANTED(deep, side_b),    WANTED(deep, w3),
        WANTED(deep, b3),        WANTED(deep, w4),        WANTED(deep, b4)};
    piece p[MAX_PIECES];
    real x[48];
    int n;
    bml_nn *net = deep_net(p, &n);
    fill(x, 1, 48, 1);
    put(net, p, n);
    check_inputs(net, "deep", x, fx_deep_out, fx_deep_d_input, fx_deep_saliency, 16, 2);
    if (n == (int)COUNT(w))
        check_gradients(net, x, fx_deep_loss[0], p, w, n);
    else
        CHECK(0, "the deep net has %d tensors, expected %d", n, (int)COUNT(w));
    bml_nn_free(net);
}

/* >> the published sizes */

/* Rows 0 and 47 of 48, alone and in the batch, in blocks of 48, 7 and 1. */
static void check_large(const char *what, bml_nn *net, const double *want, size_t stride, size_t n_in, double tol) {
    static const int blocks[] = {48, 7, 1};
    size_t n_out = bml_nn_n_out(net);
    size_t each = (n_out + stride - 1) / stride;
    real *x = (real *)malloc(48 * n_in * sizeof *x);
    real *y = (real *)malloc(48 * n_out * sizeof *y);
    char name[96];
    if (x && y) {
        fill(x, 1, 48 * n_in, 1);
        size_t i;
        for (i = 0; i < COUNT(blocks); i++) {
            bml_nn_work *work = NULL;
            CHECK(!bml_nn_work_create(&work, net, blocks[i], 1, NULL), "%s: a workspace of %d rows", what, blocks[i]);
            CHECK(work && !bml_nn_predict(net, work, y, x, 48), "%s: prediction", what);
            snprintf(name, sizeof name, "%s, first row, blocks of %d", what, blocks[i]);
            compare(name, y, stride, want, each, tol);
            snprintf(name, sizeof name, "%s, last row, blocks of %d", what, blocks[i]);
            compare(name, y + 47 * n_out, stride, want + each, each, tol);
            bml_nn_work_free(work);
        }
        predict(net, y, x + 47 * n_in, 1);
        snprintf(name, sizeof name, "%s, last row alone", what);
        compare(name, y, stride, want + each, each, tol);
        x[n_in] = (real)NAN; /* row 1 */
        predict(net, y, x, 48);
        for (i = n_out; i < 2 * n_out && isnan(y[i]); i++)
            continue;
        CHECK(i == 2 * n_out, "%s: a NaN in row 1 makes all of row 1 NaN", what);
        compare(name, y, stride, want, each, tol);
        compare(name, y + 47 * n_out, stride, want + each, each, tol);
    }
    free(x);
    free(y);
    bml_nn_free(net);
}

static void test_published(void) {
    bml_nn_layer l[9];
    piece p[MAX_PIECES];
    piece out[2] = {{"y.weight", NULL, 2, 0, 0.2, 500, 184, 0, 0}, {"y.bias", NULL, 3, 0, 0.2, 500, 0, 0, 0}};
    int n = 0;
    int width[6] = {6, 256, 256, 256, 256, 500};
    memset(l, 0, sizeof l);
    l[0].kind = BML_NN_INPUT;
    l[0].steps = 6;
    l[0].features = 1;
    for (int i = 1; i < 8; i++) {
        l[i].kind = BML_NN_GRU;
        l[i].units = 184;
        l[i].sequence = i < 7;
        n += recurrent(p + n, &l[i], 10 + 4 * (i - 1), i == 1 ? 1 : 184, 0.1);
    }
    l[8].kind = BML_NN_DENSE;
    l[8].units = 500;
    l[8].activation = BML_NN_SOFTPLUS;
    p[n++] = out[0];
    p[n++] = out[1];
    bml_nn *net = make(l, 9);
    CHECK(bml_nn_n_params(net) == 1421164, "the published GRU has %zu parameters", bml_nn_n_params(net));
    put(net, p, n);
    /* In float32 alone the bound of worst cases is of no use here; PyTorch's own float32 is within 1e-7. */
    check_large("published GRU", net, fx_published_gru, 42, 6, sizeof(real) == sizeof(float) ? 1e-6 : 2e-12);

    memset(l, 0, sizeof l);
    l[0].kind = BML_NN_INPUT;
    l[0].features = 6;
    for (int i = 0; i < 5; i++) {
        piece w = {"w", NULL, 0, 0, 0, 0, 0, 0, 0};
        l[i + 1].kind = BML_NN_DENSE;
        l[i + 1].units = width[i + 1];
        l[i + 1].activation = i < 4 ? BML_NN_RELU : BML_NN_LINEAR;
        w.k = 10 + 2 * i;
        w.s = 2 / sqrt((double)width[i]);
        w.u = width[i + 1];
        w.c = width[i];
        p[2 * i] = w;
        w.k++;
        w.s = 0.2;
        w.c = 0;
        p[2 * i + 1] = w;
    }
    net = make(l, 6);
    put(net, p, 10);
    check_large("MLP", net, fx_mlp, 42, 6, sizeof(real) == sizeof(float) ? 5e-6 : 2e-12);

    memset(l, 0, sizeof l);
    l[0].kind = BML_NN_INPUT;
    l[0].steps = 20;
    l[0].features = 5;
    l[1].kind = BML_NN_LSTM;
    l[1].units = 67;
    l[1].bidirectional = 1;
    n = recurrent(p, &l[1], 10, 5, 0.15);
    n += recurrent(p + n, &l[1], 14, 5, 0.15);
    net = make(l, 2);
    put(net, p, n);
    check_large("LSTM of 67, both ways", net, fx_bilstm_67, 12, 100, sizeof(real) == sizeof(float) ? 1e-6 : 2e-12);
}

/* >> storage and metrics */

static void test_store(void) {
    static const struct {
        const char *name;
        int storage;
        const double *want;
    } rows[] = {{"float32", BML_NN_F32, fx_store},
                {"float16", BML_NN_F16, fx_store_f16},
                {"bfloat16", BML_NN_BF16, fx_store_bf16}};
    size_t j;
    size_t size = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        bml_nn *net = dense_net(15, 1, BML_NN_LINEAR);
        bml_nn *again = NULL;
        unsigned char *bytes = NULL;
        for (j = 0; j < 15; j++)
            bml_nn_params(net)[j] = (real)(float)fx_store[j];
        int status = bml_nn_encode(net, &bytes, &size, rows[i].storage);
        CHECK(!status, "%s: %s %s", rows[i].name, bml_nn_strerror(status), bml_nn_message(net));
        if (!status) status = bml_nn_decode(&again, bytes, size, NULL);
        for (j = 0; !status && j < 15 && (float)bml_nn_params(again)[j] == (float)rows[i].want[j]; j++)
            continue;
        CHECK(j == 15, "numbers stored as %s are rounded to the nearest, ties to even%s", rows[i].name,
              j < 15 ? ": wrong" : "");
        bml_nn_free_bytes(bytes);
        bytes = NULL;
        bml_nn_params(net)[3] = 65520; /* the first number that rounds to infinity in float16 */
        status = bml_nn_encode(net, &bytes, &size, rows[i].storage);
        CHECK((status == BML_NN_BAD_DATA) == (rows[i].storage == BML_NN_F16), "65520 as %s: %s", rows[i].name,
              bml_nn_strerror(status));
        if (!status) bml_nn_free_bytes(bytes);
        bml_nn_free(again);
        bml_nn_free(net);
    }
}

static void test_metrics(void) {
    bml_nn_metrics m[3];
    real p[20];
    real t[15];
    double got = 0;
    memset(m, 0, sizeof m);
    fill(p, 1, 12, 2);
    fill(t, 2, 12, 2);
    CHECK(!bml_nn_evaluate(m, p, t, 6, 2), "metrics");
    for (size_t i = 0; i < 3; i++) {
        CHECK_NEAR(m[i].r2, fx_metrics[4 * i], bound(20, 1), "R^2");
        CHECK_NEAR(m[i].mse, fx_metrics[4 * i + 1], bound(20, 1), "MSE");
        CHECK_NEAR(m[i].msle, fx_metrics[4 * i + 2], bound(20, 1), "MSLE");
        CHECK_NEAR(m[i].mae, fx_metrics[4 * i + 3], bound(20, 1), "MAE");
    }
    fill(p, 1, 10, 1);
    fill(t, 2, 15, 1.2);
    for (size_t i = 0; i < 10; i++)
        p[i] = (real)(rint(4 * (double)p[i]) / 4);
    for (size_t i = 0; i < 15; i++)
        t[i] = (real)(rint(4 * (double)t[i]) / 4);
    CHECK(!bml_nn_ks(&got, p, 10, t, 15), "Kolmogorov-Smirnov");
    CHECK_NEAR(got, fx_ks[0], 1e-12, "Kolmogorov-Smirnov with ties");
    fill(p, 3, 20, 1);
    fill(t, 4, 7, 1);
    bml_nn_ks(&got, p, 20, t, 7);
    CHECK_NEAR(got, fx_ks[1], 1e-12, "Kolmogorov-Smirnov");
    fill(p, 1, 12, 1);
    fill(t, 2, 9, 1);
    CHECK(!bml_nn_dtw(&got, p, 12, t, 9), "warping");
    CHECK_NEAR(got, fx_dtw[0], bound(20, 1), "warping, 12 with 9");
    fill(p, 3, 1, 1);
    fill(t, 4, 7, 1);
    bml_nn_dtw(&got, p, 1, t, 7);
    CHECK_NEAR(got, fx_dtw[1], bound(20, 1), "warping, 1 with 7");
    fill(p, 5, 8, 1);
    bml_nn_dtw(&got, p, 8, p, 8);
    CHECK_NEAR(got, fx_dtw[2], 0, "warping with itself");
}

int main(void) {
    test_dense();
    test_accuracy();
    test_recurrent();
    test_conv();
    test_pool();
    test_nan();
    test_norm();
    test_losses();
    test_optimizers();
    test_branched();
    test_deep();
    test_pytorch_recurrent();
    test_published();
    test_store();
    test_metrics();
    return check_done();
}
