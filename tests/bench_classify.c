/* bench_classify.c: what bml_classify.h costs. One line each: name value unit. Medians of three repeats on one
   core. Beside the large net of examples/classify_blazar/classify_blazar.c stands the product of two matrices of 512 x 512. */
#include "bench.h"
#include <stdio.h>
#define BML_CLASSIFY_IMPLEMENTATION
#include "bml_classify.h"

enum { REPEATS = 3, ROWS = 2638, BANDS = 7, YEARS = 10, D = BANDS + YEARS };

/* Sources like those of the task agn-psr in number, share of classes, inputs, and spread of fluxes. */
static bml_classify_data make(double *x, int *y, int *group) {
    bml_classify_data d = {.n = ROWS, .d = D, .n_class = 2, .x = x, .y = y, .group = group};
    bml_classify_rng rng;
    bml_classify_rng_init(&rng, 1, 0);
    for (int k = 0; k < D; k++)
        group[k] = k < BANDS ? BML_CLASSIFY_ENERGY : BML_CLASSIFY_TIME;
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
    double s[REPEATS];
    char why[BML_CLASSIFY_MESSAGE];
    for (int r = 0; r < REPEATS; r++) {
        s[r] = bench_seconds();
        bml_classify_model *m;
        if (bml_classify_fit(&m, config, d, NULL, 0, why)) {
            fprintf(stderr, "%s\n", why);
            exit(1);
        }
        s[r] = bench_seconds() - s[r];
        bml_classify_model_free(m);
    }
    return bench_median(s, REPEATS);
}

/* One large product of the library, or of cblas when bml_nn.h uses it: sgemm's limit. */
enum { WIDE = 512 };
static float A[WIDE * WIDE], B[WIDE * WIDE], C[WIDE * WIDE];
static void product(void *what) {
    (void)what;
    bml_nn__product(C, WIDE, bml_nn__rows(A, WIDE), bml_nn__rows(B, WIDE), WIDE, WIDE, WIDE, 0);
}
static double product_gflops(void) {
    for (int i = 0; i < WIDE * WIDE; i++) {
        A[i] = sinf((float)i);
        B[i] = cosf((float)i);
    }
    return 2e-9 * WIDE * WIDE * WIDE / bench_call(product, NULL);
}

/* The convolutional LSTM on 2,745 bins: one training step of 128 SEDs, as examples/classify_blazar/classify_blazar.c makes it. */
static void published_net(void) {
    enum { BINS = 2745, BATCH = 128 };
    bml_nn_layer l[14] = {{.kind = BML_NN_INPUT, .steps = BINS, .features = 1}};
    bml_nn_config config = {l, 0, 1};
    bml_nn_training how = {
        .n = BATCH, .batch = BATCH, .epochs = REPEATS + 1, .block = 64, .loss = BML_NN_BINARY_LOGITS};
    float *x = (float *)calloc((size_t)BATCH * BINS, sizeof *x);
    float y[BATCH];
    double steps = BINS;
    double in = 1;
    double flop = 0;
    double first = 2.0 * BINS * 3 * 32;
    double step[REPEATS];
    double limit = product_gflops();
    int n = 1;
    if (!x) exit(1);
    for (int k = 0; k < 4; k++, in = 16 << k, steps = floor(steps / 2)) {
        l[n].kind = BML_NN_CONV;
        l[n].units = 32 << k;
        l[n].kernel = 3;
        l[n].same = 1;
        l[n++].activation = BML_NN_TANH;
        l[n++].kind = BML_NN_POOL;
        flop += 2 * steps * 3 * in * (32 << k);
    }
    l[n].kind = BML_NN_LSTM;
    l[n].units = 64;
    l[n].bidirectional = 1;
    l[n++].sequence = 1;
    l[n++].kind = BML_NN_FLATTEN;
    l[n].kind = BML_NN_DENSE;
    l[n].units = 384;
    l[n++].activation = BML_NN_TANH;
    l[n].kind = BML_NN_DENSE;
    l[n].units = 64;
    l[n++].activation = BML_NN_TANH;
    l[n].kind = BML_NN_DENSE;
    l[n++].units = 1;
    flop += 2 * steps * 8 * 64 * (256 + 64) + 2 * (steps * 128 * 384 + 384 * 64 + 64);
    config.n_layers = n;
    for (int i = 0; i < BATCH * BINS; i++)
        x[i] = i % 50 ? 0.0f : 0.5f + 0.3f * sinf((float)i);
    for (int i = 0; i < BATCH; i++)
        y[i] = (float)(i % 2);
    how.x = x;
    how.y = y;
    bml_nn_trainer *trainer;
    bml_nn *net;
    if (bml_nn_create(&net, &config, NULL) || bml_nn_trainer_create(&trainer, net, &how, NULL)) exit(1);
    if (bml_nn_trainer_run(trainer, 1)) exit(1); /* brings memory in */
    for (int r = 0; r < REPEATS; r++) {
        step[r] = bench_seconds();
        if (bml_nn_trainer_run(trainer, 1)) exit(1);
        step[r] = bench_seconds() - step[r];
    }
    const double typical = bench_median(step, REPEATS);
    bml_nn_trainer_free(trainer);
    flop = (3 * flop - first) * BATCH;
    printf("conv_lstm_weights %zu 1\n", bml_nn_n_params(net));
    printf("conv_lstm_step_of_128 %.3g s\n", typical);
    printf("conv_lstm_training %.3g GFLOP/s\n", 1e-9 * flop / typical);
    printf("product_512 %.3g GFLOP/s\n", limit);
    printf("conv_lstm_over_product %.2f 1\n", 1e-9 * flop / typical / limit);
    bml_nn_free(net);
    free(x);
}

typedef struct auc_job {
    const double *score;
    const int *y;
    double value;
} auc_job;
static void auc_of_rows(void *what) {
    auc_job *a = (auc_job *)what;
    a->value = bml_classify_auc(a->score, a->y, NULL, ROWS);
}

int main(void) {
    static double x[ROWS * D];
    static double score[ROWS];
    static int y[ROWS];
    static int group[D];
    bml_classify_data d = make(x, y, group);
    double expf_time = bench_expf_ns();
    printf("expf %.3g ns\n", expf_time);
    for (int model = BML_CLASSIFY_LOGISTIC; model <= BML_CLASSIFY_KERNEL; model++) {
        bml_classify_config c = {.model = model, .epochs = model == BML_CLASSIFY_BNN ? 25 : 0};
        double t = fit_s(&d, &c);
        printf("fit_%s%s %.3g s\n", bml_classify_model_name(model), c.epochs ? "_25_epochs" : "", t);
        printf("fit_%s%s_in_expf %.3g 1\n", bml_classify_model_name(model), c.epochs ? "_25_epochs" : "",
               t * 1e9 / expf_time);
    }
    auc_job auc = {score, y, 0};
    for (int i = 0; i < ROWS; i++)
        score[i] = x[i * D];
    printf("auc_of_%d_rows %.3g us\n", ROWS, 1e6 * bench_call(auc_of_rows, &auc));
    published_net();
    return !(auc.value > 0);
}
