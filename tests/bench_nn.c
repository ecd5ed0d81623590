/* bench_nn.c: what the networks of bml_nn.h cost, on one core. Each line is "name value unit".

   The limit of a net is its products at the speed of the same machine's sgemm in the same run: two operations a weight
   and use, over the rate of OpenBLAS at (48 x 184)(184 x 552) when it is linked (-DBML_BENCH_CBLAS), else of the
   built-in product. OpenBLAS chooses its kernel from the processor's name, and behind some hypervisors chooses one of
   the year 2004: compare with OPENBLAS_CORETYPE=SkylakeX (or Haswell, Zen) in the environment.

   At batch 1 a recurrent net meets another limit first: its weights come from a cache that does not hold them all. What
   reading them alone costs, in the order and as often as the net must, is printed beside it. */
#include "bench.h"
#undef BML_NN_IMPLEMENTED /* the product lies inside */
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#include <stdio.h>
#ifdef BML_BENCH_CBLAS
#include <cblas.h>
#endif

enum { M = 48 };
enum { K = 184 };
enum { N = 3 * K };
enum { STEPS = 6 }; /* of the recurrent nets */
enum { LAYERS = 7 };
enum { POINTS = 500 };
enum { ROWS = 757 }; /* of the training set */
static float A[M * K];
static float B[K * N];
static float C[M * N];

static void built_in(void *what) {
    (void)what;
    const bml_nn__mat a = bml_nn__rows(A, K);
    const bml_nn__mat b = bml_nn__rows(B, N);
    bml_nn__product(C, N, a, b, M, N, K, 0);
}

static void transposed(void *what) { /* by the inputs: (48 x 552)(184 x 552)^T */
    (void)what;
    const bml_nn__mat c = bml_nn__rows(C, N);
    const bml_nn__mat b = bml_nn__cols(B, N);
    bml_nn__product(A, K, c, b, M, K, N, 0);
}

static void gradient(void *what) { /* by the weights: (48 x 184)^T (48 x 552) */
    static float D[K * N];
    (void)what;
    const bml_nn__mat a = bml_nn__cols(A, K);
    const bml_nn__mat c = bml_nn__rows(C, N);
    bml_nn__product(D, N, a, c, K, N, M, 0);
}

#ifdef BML_BENCH_CBLAS
static void openblas(void *what) {
    (void)what;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, M, N, K, 1, A, K, B, N, 0, C, N);
}
#endif

typedef struct net_job {
    bml_nn *net;
    bml_nn_work *work;
    float *x;
    float *y;
    size_t n;
    int gates; /* of a recurrent net */
    bml_nn_training how;
} net_job;

static void infer(void *what) {
    net_job *j = (net_job *)what;
    bml_nn_predict(j->net, j->work, j->y, j->x, j->n);
}

/* The published surrogate (GRU; Tzavellas et al. 2024), or the same of other cells: 6 steps x 1, seven recurrent layers
   of 184, dense 500 softplus. */
static int make_recurrent(net_job *j, int kind, int gates) {
    bml_nn_layer l[LAYERS + 2] = {{.kind = BML_NN_INPUT}};
    const bml_nn_config config = {l, LAYERS + 2, 1};
    l[0].steps = STEPS;
    l[0].features = 1;
    for (int i = 1; i <= LAYERS; i++) {
        l[i].kind = kind;
        l[i].units = K;
        l[i].sequence = i < LAYERS;
    }
    l[LAYERS + 1].kind = BML_NN_DENSE;
    l[LAYERS + 1].units = POINTS;
    l[LAYERS + 1].activation = BML_NN_SOFTPLUS;
    j->gates = gates;
    int status = bml_nn_create(&j->net, &config, NULL);
    return status ? status : bml_nn_work_create(&j->work, j->net, M, 1, NULL);
}

/* Operations a row of it; the first step of a layer needs no recurrent product. */
static double recurrent_flop(const net_job *j) {
    const double width = (double)j->gates * K;
    const double inputs = STEPS * width * (1 + (LAYERS - 1) * K);
    const double states = (STEPS - 1) * width * LAYERS * K;
    return 2 * (inputs + states + K * POINTS);
}

/* total and the sum of n numbers, as fast as they come. */
static float read_all(float total, const float *p, ptrdiff_t n) {
    enum { VECTORS = 8 };
    enum { LANES = sizeof(bml_nn__vec) / sizeof(float) };
    enum { STRIDE = VECTORS * LANES };
    bml_nn__vec sum[VECTORS];
    float lanes[STRIDE] = {total};
    memcpy(sum, lanes, sizeof sum);
    for (ptrdiff_t i = 0; i + STRIDE <= n; i += STRIDE) {
        for (int v = 0; v < VECTORS; v++) {
            sum[v] += *(const bml_nn__loose *)(p + i + v * LANES);
        }
    }
    memcpy(lanes, sum, sizeof sum);
    total = 0;
    for (int l = 0; l < STRIDE; l++) {
        total += lanes[l];
    }
    return total;
}

/* Reads the weights of a recurrent net as often as a batch of one needs them: by the states at all steps but one. */
static void read_weights(void *what) {
    net_job *j = (net_job *)what;
    const float *at = bml_nn_params(j->net);
    const float *end = at + bml_nn_n_params(j->net);
    const ptrdiff_t states = (ptrdiff_t)j->gates * K * K;
    float total = 0;
    for (int layer = 1; layer <= LAYERS; layer++) {
        const float *recurrent = bml_nn__param(j->net, layer, 1);
        total = read_all(total, at, recurrent - at);
        for (int step = 1; step < STEPS; step++) {
            total = read_all(total, recurrent, states);
        }
        at = recurrent + states;
    }
    j->y[0] = read_all(total, at, end - at);
}

static int make_mlp(net_job *j) {
    bml_nn_layer l[6] = {{.kind = BML_NN_INPUT}};
    const bml_nn_config config = {l, 6, 1};
    l[0].features = 6;
    for (int i = 1; i <= 5; i++) {
        l[i].kind = BML_NN_DENSE;
        l[i].units = i < 5 ? 256 : POINTS;
        l[i].activation = i < 5 ? BML_NN_RELU : BML_NN_LINEAR;
    }
    int status = bml_nn_create(&j->net, &config, NULL);
    return status ? status : bml_nn_work_create(&j->work, j->net, M, 1, NULL);
}

/* 6-20-20-2, tanh: where what stands around the products counts. */
static int make_small(net_job *j) {
    bml_nn_layer l[4] = {{.kind = BML_NN_INPUT}};
    const bml_nn_config config = {l, 4, 1};
    l[0].features = 6;
    for (int i = 1; i <= 3; i++) {
        l[i].kind = BML_NN_DENSE;
        l[i].units = i < 3 ? 20 : 2;
        l[i].activation = i < 3 ? BML_NN_TANH : BML_NN_LINEAR;
    }
    int status = bml_nn_create(&j->net, &config, NULL);
    return status ? status : bml_nn_work_create(&j->work, j->net, 1, 1, NULL);
}

/* The same net as anybody writes it: loops over weights [out][in] and tanhf. */
static void plain_loops(void *what) {
    static const int sizes[] = {6, 20, 20, 2};
    net_job *j = (net_job *)what;
    const float *w = bml_nn_params(j->net);
    float layer[2][20];
    const float *x = j->x;
    for (int l = 0; l < 3; l++) {
        float *y = l < 2 ? layer[l] : j->y;
        for (int o = 0; o < sizes[l + 1]; o++) {
            float sum = 0;
            for (int i = 0; i < sizes[l]; i++) {
                sum += x[i] * *w++;
            }
            sum += *w++;
            y[o] = l < 2 ? tanhf(sum) : sum;
        }
        x = y;
    }
}

static void drop(net_job *j) {
    bml_nn_work_free(j->work);
    bml_nn_free(j->net);
}

/* Seconds a row of n at a time, and the ratio to the products alone at `rate` flop/s. */
static void report(const char *name, net_job *j, size_t n, double flop, double rate) {
    j->n = n;
    double t = bench_call(infer, j) / (double)n;
    printf("%s %.1f us\n", name, 1e6 * t);
    printf("%s_over_sgemm_limit %.2f ratio\n", name, t * rate / flop);
}

/* The rate that limits are counted by. */
static double report_products(void) {
    const double flop = 2.0 * M * N * K;
    double own = flop / bench_call(built_in, NULL);
    double rate = own;
    printf("product_48x184x552 %.1f GFLOP/s\n", 1e-9 * own);
    printf("product_transposed %.1f GFLOP/s\n", 1e-9 * flop / bench_call(transposed, NULL));
    printf("product_gradient %.1f GFLOP/s\n", 1e-9 * flop / bench_call(gradient, NULL));
#ifdef BML_BENCH_CBLAS
    openblas_set_num_threads(1);
    rate = flop / bench_call(openblas, NULL);
    printf("openblas_48x184x552 %.1f GFLOP/s\n", 1e-9 * rate);
    printf("product_over_openblas %.2f ratio\n", own / rate);
#endif
    return rate;
}

/* An epoch of training. */
static int report_epoch(net_job *j, double rate) {
    enum { TIMES = 5 };
    double times[TIMES];
    j->how.x = j->x;
    j->how.y = j->y;
    j->how.n = ROWS;
    j->how.batch = 32;
    j->how.epochs = 1;
    j->how.learning_rate = 1.7e-4;
    for (int i = 0; i < TIMES; i++) {
        bml_nn_trainer *trainer;
        if (bml_nn_trainer_create(&trainer, j->net, &j->how, NULL)) {
            return 1;
        }
        double start = bench_seconds();
        int status = bml_nn_trainer_run(trainer, 0);
        times[i] = bench_seconds() - start;
        bml_nn_trainer_free(trainer);
        if (status) {
            return 1;
        }
    }
    double t = bench_median(times, TIMES);
    printf("gru_epoch_757_rows %.3f s\n", t);
    printf("gru_epoch_over_sgemm_limit %.2f ratio\n", t * rate / (3 * recurrent_flop(j) * ROWS));
    return 0;
}

/* A recurrent net at batch 48 and 1, and what limits the latter: its weights, as fast as they come. */
static void report_recurrent(const char *name, net_job *j, double rate) {
    char line[40];
    const double flop = recurrent_flop(j);
    snprintf(line, sizeof line, "%s_batch_48", name);
    report(line, j, M, flop, rate);
    snprintf(line, sizeof line, "%s_batch_1", name);
    report(line, j, 1, flop, rate);
    double t = bench_call(read_weights, j);
    printf("%s_reading_weights %.1f us\n", line, 1e6 * t);
    printf("%s_reading_weights_over_sgemm_limit %.2f ratio\n", line, t * rate / flop);
}

static int report_cells(net_job *j, double rate) {
    if (make_recurrent(j, BML_NN_GRU, 3)) {
        return 1;
    }
    report_recurrent("gru", j, rate);
    int failed = report_epoch(j, rate);
    drop(j);
    if (failed || make_recurrent(j, BML_NN_LSTM, 4)) {
        return 1;
    }
    report_recurrent("lstm", j, rate);
    drop(j);
    if (make_recurrent(j, BML_NN_RNN, 1)) {
        return 1;
    }
    report_recurrent("rnn", j, rate);
    drop(j);
    return 0;
}

static int report_dense(net_job *j, double rate) {
    const double flop = 2.0 * (6 * 256 + 3 * 256 * 256 + 256 * POINTS);
    if (make_mlp(j)) {
        return 1;
    }
    report("mlp_batch_48", j, M, flop, rate);
    report("mlp_batch_1", j, 1, flop, rate);
    drop(j);
    if (make_small(j)) {
        return 1;
    }
    double small = bench_call(infer, j);
    double plain = bench_call(plain_loops, j);
    printf("small_net_batch_1 %.0f ns\n", 1e9 * small);
    printf("small_net_over_plain_loops %.2f ratio\n", small / plain);
    drop(j);
    return 0;
}

int main(void) {
    net_job j = {0};
    for (int i = 0; i < M * K; i++) {
        A[i] = sinf((float)i);
    }
    for (int i = 0; i < K * N; i++) {
        B[i] = cosf((float)i);
    }
    printf("expf %.2f ns\n", bench_expf_ns());
    const double rate = report_products();
    j.x = (float *)malloc(ROWS * STEPS * sizeof(float));
    j.y = (float *)malloc(ROWS * POINTS * sizeof(float));
    if (!j.x || !j.y) {
        return 1;
    }
    for (int i = 0; i < ROWS * STEPS; i++) {
        j.x[i] = sinf(1.3f * (float)i);
    }
    for (int i = 0; i < ROWS * POINTS; i++) {
        j.y[i] = 0.5f + 0.4f * sinf(0.01f * (float)i);
    }
    int failed = report_cells(&j, rate) || report_dense(&j, rate);
    free(j.x);
    free(j.y);
    return failed;
}
