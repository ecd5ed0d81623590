/* bench_nn.c: what the networks of bml_nn.h cost, on one core. Each line is "name value unit".

   The limit of a net is its products at the speed of the same machine's sgemm in the same run: two operations a weight and
   use, over the rate of OpenBLAS at (48 x 184)(184 x 552) when it is linked (-DBML_BENCH_CBLAS), else of the built-in product.
   OpenBLAS chooses its kernel from the processor's name, and behind some hypervisors chooses one of the year 2004: compare
   with OPENBLAS_CORETYPE=SkylakeX (or Haswell, Zen) in the environment. */
#include "bench.h"
#undef BML_NN_IMPLEMENTED /* the product lies inside */
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#include <stdio.h>
#ifdef BML_BENCH_CBLAS
#include <cblas.h>
#endif

enum { M = 48, K = 184, N = 552 };
static float A[M * K], B[K * N], C[M * N];
static void built_in(void *what) {
    (void)what;
    bml_nn__product(C, N, bml_nn__rows(A, K), bml_nn__rows(B, N), M, N, K, 0);
}
static void transposed(void *what) { /* by the inputs: (48 x 552)(184 x 552)^T */
    (void)what;
    bml_nn__product(A, K, bml_nn__rows(C, N), bml_nn__cols(B, N), M, K, N, 0);
}
static void gradient(void *what) { /* by the weights: (48 x 184)^T (48 x 552) */
    static float D[K * N];
    (void)what;
    bml_nn__product(D, N, bml_nn__cols(A, K), bml_nn__rows(C, N), K, N, M, 0);
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
    float *x, *y;
    size_t n;
    bml_nn_training how;
} net_job;

static void infer(void *what) {
    net_job *j = (net_job *)what;
    bml_nn_predict(j->net, j->work, j->y, j->x, j->n);
}

/* The published surrogate: 6 steps x 1, seven GRU layers of 184, dense 500 softplus (Tzavellas et al. 2024). */
static int make_gru(bml_nn **net) {
    bml_nn_layer l[9] = {{.kind = BML_NN_INPUT, .steps = 6, .features = 1}};
    bml_nn_config config = {l, 9, 1};
    for (int i = 1; i <= 7; i++) {
        l[i].kind = BML_NN_GRU;
        l[i].units = 184;
        l[i].sequence = i < 7;
    }
    l[8].kind = BML_NN_DENSE;
    l[8].units = 500;
    l[8].activation = BML_NN_SOFTPLUS;
    return bml_nn_create(net, &config, NULL);
}

static int make_mlp(bml_nn **net) {
    bml_nn_layer l[6] = {{.kind = BML_NN_INPUT, .features = 6}};
    bml_nn_config config = {l, 6, 1};
    for (int i = 1; i <= 5; i++) {
        l[i].kind = BML_NN_DENSE;
        l[i].units = i < 5 ? 256 : 500;
        l[i].activation = i < 5 ? BML_NN_RELU : BML_NN_LINEAR;
    }
    return bml_nn_create(net, &config, NULL);
}

/* 6-20-20-2, tanh: where what stands around the products counts. */
static int make_small(bml_nn **net) {
    bml_nn_layer l[4] = {{.kind = BML_NN_INPUT, .features = 6}};
    bml_nn_config config = {l, 4, 1};
    for (int i = 1; i <= 3; i++) {
        l[i].kind = BML_NN_DENSE;
        l[i].units = i < 3 ? 20 : 2;
        l[i].activation = i < 3 ? BML_NN_TANH : BML_NN_LINEAR;
    }
    return bml_nn_create(net, &config, NULL);
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
            for (int i = 0; i < sizes[l]; i++)
                sum += x[i] * *w++;
            sum += *w++;
            y[o] = l < 2 ? tanhf(sum) : sum;
        }
        x = y;
    }
}

/* Seconds a row, and the ratio to the products alone at `rate` flop/s. */
static void report(const char *name, net_job *j, double flop, double rate) {
    double t = bench_call(infer, j) / (double)j->n;
    printf("%s %.1f us\n", name, 1e6 * t);
    printf("%s_over_sgemm_limit %.2f ratio\n", name, t * rate / flop);
}

int main(void) {
    net_job j = {0};
    double flop = 2.0 * M * N * K;
    double rate;
    for (int i = 0; i < M * K; i++)
        A[i] = sinf((float)i);
    for (int i = 0; i < K * N; i++)
        B[i] = cosf((float)i);
    printf("expf %.2f ns\n", bench_expf_ns());
    double own = rate = flop / bench_call(built_in, NULL);
    printf("product_48x184x552 %.1f GFLOP/s\n", 1e-9 * own);
    printf("product_transposed %.1f GFLOP/s\n", 1e-9 * flop / bench_call(transposed, NULL));
    printf("product_gradient %.1f GFLOP/s\n", 1e-9 * flop / bench_call(gradient, NULL));
#ifdef BML_BENCH_CBLAS
    openblas_set_num_threads(1);
    rate = flop / bench_call(openblas, NULL);
    printf("openblas_48x184x552 %.1f GFLOP/s\n", 1e-9 * rate);
    printf("product_over_openblas %.2f ratio\n", own / rate);
#endif
    j.x = (float *)malloc(757 * 6 * sizeof(float));
    j.y = (float *)malloc(757 * 500 * sizeof(float));
    if (!j.x || !j.y) return 1;
    for (int i = 0; i < 757 * 6; i++)
        j.x[i] = sinf(1.3f * (float)i);
    for (int i = 0; i < 757 * 500; i++)
        j.y[i] = 0.5f + 0.4f * sinf(0.01f * (float)i);

    if (make_gru(&j.net) || bml_nn_work_create(&j.work, j.net, 48, 1, NULL)) return 1;
    flop = 2.0 * (6 * 552.0 * (1 + 6 * 184) + 5 * 552.0 * 7 * 184 +
                  184 * 500.0); /* the first step of a layer needs no recurrent product */
    j.n = 48;
    report("gru_batch_48", &j, flop, rate);
    j.n = 1;
    report("gru_batch_1", &j, flop, rate);
    j.how.x = j.x;
    j.how.y = j.y;
    j.how.n = 757;
    j.how.batch = 32;
    j.how.epochs = 1;
    j.how.learning_rate = 1.7e-4;
    {
        double times[5];
        for (int i = 0; i < 5; i++) {
            bml_nn_trainer *trainer;
            if (bml_nn_trainer_create(&trainer, j.net, &j.how, NULL)) return 1;
            times[i] = bench_seconds();
            if (bml_nn_trainer_run(trainer, 0)) return 1;
            times[i] = bench_seconds() - times[i];
            bml_nn_trainer_free(trainer);
        }
        double t = bench_median(times, 5);
        printf("gru_epoch_757_rows %.3f s\n", t);
        printf("gru_epoch_over_sgemm_limit %.2f ratio\n", t * rate / (3 * flop * 757));
    }
    bml_nn_work_free(j.work);
    bml_nn_free(j.net);

    if (make_mlp(&j.net) || bml_nn_work_create(&j.work, j.net, 48, 1, NULL)) return 1;
    j.n = 48;
    report("mlp_batch_48", &j, 2.0 * (6 * 256 + 3 * 256 * 256 + 256 * 500), rate);
    j.n = 1;
    report("mlp_batch_1", &j, 2.0 * (6 * 256 + 3 * 256 * 256 + 256 * 500), rate);
    bml_nn_work_free(j.work);
    bml_nn_free(j.net);
    if (make_small(&j.net) || bml_nn_work_create(&j.work, j.net, 1, 1, NULL)) return 1;
    double small = bench_call(infer, &j);
    double plain = bench_call(plain_loops, &j);
    printf("small_net_batch_1 %.0f ns\n", 1e9 * small);
    printf("small_net_over_plain_loops %.2f ratio\n", small / plain);
    bml_nn_work_free(j.work);
    bml_nn_free(j.net);
    free(j.x);
    free(j.y);
    return 0;
}
