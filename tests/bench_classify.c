/* bench_classify.c: what bml_classify.h costs. One line each: name value unit. The calibration is one scalar expf of
   this machine, measured in the same run; ratios to it hold where times do not. Best of three repeats, one core. For
   the large net of examples/classify_blazar.c, CPU time, and beside it the product of two matrices of 512 x 512. */
#define _POSIX_C_SOURCE 199309L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#define BML_CLASSIFY_IMPLEMENTATION
#include "bml_classify.h"

enum { REPEATS = 3, ROWS = 2638, BANDS = 7, YEARS = 10, D = BANDS + YEARS };

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Nanoseconds of one expf in a chain of dependent calls. */
static double expf_ns(void) {
    double best = 1e9;
    for (int r = 0; r < REPEATS; r++) {
        float x = 0.5f;
        double t = seconds();
        for (int i = 0; i < 4000000; i++) x = expf(-x);
        t = (seconds() - t) * 1e9 / 4e6;
        if (t < best && x > 0) best = t;
    }
    return best;
}

/* Sources like those of the task agn-psr in number, share of classes, inputs, and spread of fluxes. */
static bml_classify_data make(double *x, int *y, int *group) {
    bml_classify_data d = {.n = ROWS, .d = D, .n_class = 2, .x = x, .y = y, .group = group};
    bml_classify_rng rng;
    bml_classify_rng_init(&rng, 1, 0);
    for (int k = 0; k < D; k++) group[k] = k < BANDS ? BML_CLASSIFY_ENERGY : BML_CLASSIFY_TIME;
    for (int i = 0; i < ROWS; i++) {
        double bright = bml_classify_rng_normal(&rng);
        y[i] = i % 15 == 0;
        for (int k = 0; k < D; k++)
            x[i * D + k] = exp(bright + 0.5 * bml_classify_rng_normal(&rng) + (k < 3 ? 0.7 * y[i] : 0));
    }
    return d;
}

/* Seconds of one fit. */
static double fit_s(const bml_classify_data *d, const bml_classify_config *config) {
    double best = 1e9;
    char why[BML_CLASSIFY_MESSAGE];
    for (int r = 0; r < REPEATS; r++) {
        bml_classify_model *m;
        double t = seconds();
        if (bml_classify_fit(&m, config, d, NULL, 0, why)) {
            fprintf(stderr, "%s\n", why);
            exit(1);
        }
        t = seconds() - t;
        bml_classify_model_free(m);
        if (t < best) best = t;
    }
    return best;
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* GFLOP/s of one large product of the library, and of cblas when bml_nn.h uses it: sgemm's limit. */
static double product_gflops(void) {
    enum { N = 512 };
    static float a[N * N], b[N * N], c[N * N];
    double best = 1e9;
    for (int i = 0; i < N * N; i++) a[i] = sinf((float)i), b[i] = cosf((float)i);
    for (int r = 0; r < 12; r++) {
        double t = cpu_seconds();
        bml_nn__product(c, N, bml_nn__rows(a, N), bml_nn__rows(b, N), N, N, N, 0);
        t = cpu_seconds() - t;
        if (t < best) best = t;
    }
    return 2e-9 * N * N * N / best;
}

/* The convolutional LSTM on 2,745 bins: one training step of 128 SEDs, as examples/classify_blazar.c makes it. */
static void published_net(void) {
    enum { BINS = 2745, BATCH = 128 };
    bml_nn_layer l[14] = {{.kind = BML_NN_INPUT, .steps = BINS, .features = 1}};
    bml_nn_config config = {l, 0, 1};
    bml_nn_training how = {
        .n = BATCH, .batch = BATCH, .epochs = REPEATS + 1, .block = 64, .loss = BML_NN_BINARY_LOGITS};
    bml_nn_trainer *trainer;
    float *x = (float *)calloc((size_t)BATCH * BINS, sizeof *x), y[BATCH];
    double steps = BINS, in = 1, flop = 0, first = 2.0 * BINS * 3 * 32, best = 1e9, limit = product_gflops();
    int n = 1;
    bml_nn *net;
    if (!x) exit(1);
    for (int k = 0; k < 4; k++, in = 16 << k, steps = floor(steps / 2)) {
        l[n].kind = BML_NN_CONV, l[n].units = 32 << k, l[n].kernel = 3, l[n].same = 1, l[n++].activation = BML_NN_TANH;
        l[n++].kind = BML_NN_POOL;
        flop += 2 * steps * 3 * in * (32 << k);
    }
    l[n].kind = BML_NN_LSTM, l[n].units = 64, l[n].bidirectional = 1, l[n++].sequence = 1;
    l[n++].kind = BML_NN_FLATTEN;
    l[n].kind = BML_NN_DENSE, l[n].units = 384, l[n++].activation = BML_NN_TANH;
    l[n].kind = BML_NN_DENSE, l[n].units = 64, l[n++].activation = BML_NN_TANH;
    l[n].kind = BML_NN_DENSE, l[n++].units = 1;
    flop += 2 * steps * 8 * 64 * (256 + 64) + 2 * (steps * 128 * 384 + 384 * 64 + 64);
    config.n_layers = n;
    for (int i = 0; i < BATCH * BINS; i++) x[i] = i % 50 ? 0.0f : 0.5f + 0.3f * sinf((float)i);
    for (int i = 0; i < BATCH; i++) y[i] = (float)(i % 2);
    how.x = x, how.y = y;
    if (bml_nn_create(&net, &config) || bml_nn_trainer_create(&trainer, net, &how)) exit(1);
    for (int r = 0; r <= REPEATS; r++) { /* the first finds its memory untouched, and counts only if it is the best */
        double t = cpu_seconds();
        if (bml_nn_trainer_run(trainer, 1)) exit(1);
        t = cpu_seconds() - t;
        if (t < best) best = t;
    }
    bml_nn_trainer_free(trainer);
    flop = (3 * flop - first) * BATCH;
    printf("conv_lstm_weights %zu 1\n", bml_nn_n_params(net));
    printf("conv_lstm_step_of_128 %.3g s\n", best);
    printf("conv_lstm_training %.3g GFLOP/s\n", 1e-9 * flop / best);
    printf("product_512 %.3g GFLOP/s\n", limit);
    printf("conv_lstm_over_product %.2f 1\n", 1e-9 * flop / best / limit);
    bml_nn_free(net);
    free(x);
}

int main(void) {
    static double x[ROWS * D], score[ROWS];
    static int y[ROWS], group[D];
    bml_classify_data d = make(x, y, group);
    double expf_time = expf_ns(), best = 1e9, auc = 0;
    printf("expf %.3g ns\n", expf_time);
    for (int model = BML_CLASSIFY_LOGISTIC; model <= BML_CLASSIFY_KERNEL; model++) {
        bml_classify_config c = {.model = model, .epochs = model == BML_CLASSIFY_BNN ? 25 : 0};
        double t = fit_s(&d, &c);
        printf("fit_%s%s %.3g s\n", bml_classify_model_name(model), c.epochs ? "_25_epochs" : "", t);
        printf("fit_%s%s_in_expf %.3g 1\n", bml_classify_model_name(model), c.epochs ? "_25_epochs" : "",
               t * 1e9 / expf_time);
    }
    for (int i = 0; i < ROWS; i++) score[i] = x[i * D];
    for (int r = 0; r < REPEATS; r++) {
        double t = seconds();
        for (int k = 0; k < 20; k++) auc += bml_classify_auc(score, y, NULL, ROWS);
        t = (seconds() - t) / 20 * 1e6;
        if (t < best && auc > 0) best = t;
    }
    printf("auc_of_%d_rows %.3g us\n", ROWS, best);
    published_net();
    return 0;
}
