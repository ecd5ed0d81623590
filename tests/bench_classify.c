/* bench_classify.c: what bml_classify.h costs. One line each: name value unit. Medians of three repeats on one core.
   Beside the large net of examples/classify_blazar stands the product of two matrices of 512 x 512. */
#undef BML_NN_IMPLEMENTED /* its product of matrices is timed by itself */
#undef BML_CLASSIFY_IMPLEMENTED
#include "bench.h"
#include <stdio.h>
#define BML_CLASSIFY_IMPLEMENTATION
#include "bml_classify.h"

enum { REPEATS = 3 };
enum { ROWS = 2638 };
enum { BANDS = 7 };
enum { YEARS = 10 };
enum { D = BANDS + YEARS };

/* Sources like those of the task agn-psr in number, share of classes, inputs, and spread of fluxes. */
static bml_classify_data make(double *x, int *y, int *group) {
    bml_classify_data d = {.n = ROWS, .d = D, .n_class = 2, .x = x, .y = y, .group = group};
    bml_classify_rng rng;
    bml_classify_rng_init(&rng, 1, 0);
    for (int k = 0; k < D; k++) {
        group[k] = k < BANDS ? BML_CLASSIFY_ENERGY : BML_CLASSIFY_TIME;
    }
    for (int i = 0; i < ROWS; i++) {
        double bright = bml_classify_rng_normal(&rng);
        y[i] = i % 15 == 0;
        for (int k = 0; k < D; k++) {
            x[i * D + k] = exp(bright + 0.5 * bml_classify_rng_normal(&rng) + (k < 3 ? 0.7 * y[i] : 0));
        }
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

/* The convolutional LSTM on 2,745 bins, as examples/classify_blazar makes it: one training step of 128 SEDs. */
enum { SED_BINS = 2745 };
enum { SEDS = 128 };

static bml_nn_layer *add(bml_nn_layer *layers, int *n, int kind, int units) {
    bml_nn_layer *l = &layers[(*n)++];
    l->kind = kind;
    l->units = units;
    return l;
}

/* Its layers; their number. *flop: multiplications and additions of a forward pass of one SED. */
static int published_layers(bml_nn_layer *l, double *flop) {
    double steps = SED_BINS;
    double in = 1;
    int n = 0;
    bml_nn_layer *input = add(l, &n, BML_NN_INPUT, 0);
    input->steps = SED_BINS;
    input->features = 1;
    *flop = 0;
    for (int k = 0; k < 4; k++) {
        bml_nn_layer *conv = add(l, &n, BML_NN_CONV, 32 << k);
        conv->kernel = 3;
        conv->same = 1;
        conv->activation = BML_NN_TANH;
        add(l, &n, BML_NN_POOL, 0);
        *flop += 2 * steps * 3 * in * (32 << k);
        in = 32 << k;
        steps = floor(steps / 2);
    }
    bml_nn_layer *lstm = add(l, &n, BML_NN_LSTM, 64);
    lstm->bidirectional = 1;
    lstm->sequence = 1;
    add(l, &n, BML_NN_FLATTEN, 0);
    add(l, &n, BML_NN_DENSE, 384)->activation = BML_NN_TANH;
    add(l, &n, BML_NN_DENSE, 64)->activation = BML_NN_TANH;
    add(l, &n, BML_NN_DENSE, 1);
    *flop += 2 * steps * 8 * 64 * (256 + 64);
    *flop += 2 * (steps * 128 * 384 + 384 * 64 + 64);
    return n;
}

/* Seconds of a training step: the median, after one that brings memory in. */
static double step_seconds(bml_nn *net, const bml_nn_training *how) {
    double step[REPEATS];
    bml_nn_trainer *trainer;
    char why[BML_NN_MESSAGE];
    if (bml_nn_trainer_create(&trainer, net, how, why)) {
        fprintf(stderr, "%s\n", why);
        exit(1);
    }
    if (bml_nn_trainer_run(trainer, 1)) exit(1);
    for (int r = 0; r < REPEATS; r++) {
        step[r] = bench_seconds();
        if (bml_nn_trainer_run(trainer, 1)) exit(1);
        step[r] = bench_seconds() - step[r];
    }
    bml_nn_trainer_free(trainer);
    return bench_median(step, REPEATS);
}

static void published_net(void) {
    bml_nn_layer layers[14] = {{0}};
    double flop;
    const double limit = product_gflops();
    const double first = 2.0 * SED_BINS * 3 * 32; /* of the first layer, from which no gradient goes back */
    bml_nn_config config = {layers, 0, 1};
    bml_nn_training how = {0};
    char why[BML_NN_MESSAGE];
    float *x = (float *)calloc((size_t)SEDS * SED_BINS, sizeof *x);
    float y[SEDS];
    bml_nn *net;
    config.n_layers = published_layers(layers, &flop);
    if (!x || bml_nn_create(&net, &config, why)) {
        exit(1);
    }
    for (int i = 0; i < SEDS * SED_BINS; i++) {
        x[i] = i % 50 ? 0.0f : 0.5f + 0.3f * sinf((float)i);
    }
    for (int i = 0; i < SEDS; i++) {
        y[i] = (float)(i % 2);
    }
    how.x = x;
    how.y = y;
    how.n = SEDS;
    how.batch = SEDS;
    how.epochs = REPEATS + 1;
    how.block = 64;
    how.loss = BML_NN_BINARY_LOGITS;
    const double typical = step_seconds(net, &how);
    const double rate = 1e-9 * (3 * flop - first) * SEDS / typical;
    printf("conv_lstm_weights %zu 1\n", bml_nn_n_params(net));
    printf("conv_lstm_step_of_128 %.3g s\n", typical);
    printf("conv_lstm_training %.3g GFLOP/s\n", rate);
    printf("product_512 %.3g GFLOP/s\n", limit);
    printf("conv_lstm_over_product %.2f 1\n", rate / limit);
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
    for (int i = 0; i < ROWS; i++) {
        score[i] = x[i * D];
    }
    printf("auc_of_%d_rows %.3g us\n", ROWS, 1e6 * bench_call(auc_of_rows, &auc));
    published_net();
    return !(auc.value > 0);
}
