/* bench_surrogate.c: what a spectrum costs through the network that is shipped, on one core. Each line is "name value
   unit". The limit is the time of the network's products alone at the rate of a (24 x 192)(192 x
   192) product. */
#include "common.h"
#include "bench.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#include "surrogate.h"

enum { BATCH = 24, WIDE = 192 };

typedef struct job {
    surrogate s;
    bml_nn_work *work;
    double row[BATCH][SSC_ROW], x[31];
    float input[BATCH * SURROGATE_INPUTS], *node, *curve;
    float A[BATCH * WIDE], B[WIDE * WIDE], C[BATCH * WIDE];
    double sum;
} job;

static void place_and_predict(job *j, surrogate_frame *f) {
    const size_t n_in = bml_nn_n_in(j->s.net);
    for (int i = 0; i < BATCH; i++)
        surrogate_place(&f[i], j->input + (size_t)i * n_in, j->s.kind, j->s.grid, j->row[i]);
    bml_nn_predict(j->s.net, j->work, j->node, j->input, BATCH);
}
static void whole_spectra(void *what) {
    job *j = what;
    surrogate_frame f[BATCH];
    place_and_predict(j, f);
    for (int i = 0; i < BATCH; i++)
        surrogate_spectrum(j->curve + i * SURROGATE_GRID, &j->s, &f[i], j->node + (size_t)i * bml_nn_n_out(j->s.net));
}
static void points(void *what) {
    job *j = what;
    surrogate_frame f[BATCH];
    place_and_predict(j, f);
    for (int i = 0; i < BATCH; i++)
        for (int k = 0; k < 31; k++)
            j->sum += surrogate_at(&j->s, &f[i], j->node + (size_t)i * bml_nn_n_out(j->s.net), j->x[k]);
}
static void product(void *what) {
    job *j = what;
    bml_nn__product(j->C, WIDE, bml_nn__rows(j->A, WIDE), bml_nn__rows(j->B, WIDE), BATCH, WIDE, WIDE, 0);
}

int main(void) {
    static job j;
    char err[ERROR_SIZE];
    if (surrogate_load(&j.s, "examples/models/ssc.safetensors", err)) fail("%s", err);
    const size_t n_out = bml_nn_n_out(j.s.net);
    j.node = malloc(BATCH * n_out * sizeof *j.node);
    j.curve = malloc(BATCH * SURROGATE_GRID * sizeof *j.curve);
    if (!j.node || !j.curve || bml_nn_work_create(&j.work, j.s.net, BATCH, 1, NULL)) fail("out of memory");
    for (int i = 0; i < BATCH; i++) {
        const double row[SSC_ROW] = {15 + 0.05 * i, -1 + 0.05 * i, 2, 6 + 0.02 * i, -3.5, 2.2};
        memcpy(j.row[i], row, sizeof row);
    }
    for (int k = 0; k < 31; k++)
        j.x[k] = -6 + 0.4 * k;
    for (int k = 0; k < BATCH * WIDE; k++)
        j.A[k] = 0.01f * (float)(k % 7);
    for (int k = 0; k < WIDE * WIDE; k++)
        j.B[k] = 0.01f * (float)(k % 5);
    const double rate = 2.0 * BATCH * WIDE * WIDE / bench_call(product, &j);
    const double limit = 2.0 * (double)bml_nn_n_params(j.s.net) / rate;
    const double whole = bench_call(whole_spectra, &j) / BATCH;
    const double few = bench_call(points, &j) / BATCH;
    printf("product_24x192x192 %.4g GFLOP/s\n", 1e-9 * rate);
    printf("surrogate_500_values %.4g us (%.2f of the products' limit)\n", 1e6 * whole, whole / limit);
    printf("surrogate_31_points %.4g us (%.2f of the products' limit)\n", 1e6 * few, few / limit);
    bml_nn_work_free(j.work);
    surrogate_free(&j.s);
    free(j.node);
    free(j.curve);
    return !(j.sum < 0);
}
