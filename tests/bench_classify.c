/* bench_classify.c: what bml_classify.h costs. One line each: name value unit. The calibration is one scalar expf of
   this machine, measured in the same run; ratios to it hold where times do not. Best of three repeats, one core. */
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

int main(void) {
    static double x[ROWS * D], score[ROWS];
    static int y[ROWS], group[D];
    bml_classify_data d = make(x, y, group);
    double expf_time = expf_ns(), best = 1e9, auc = 0;
    printf("expf %.3g ns\n", expf_time);
    for (int model = BML_CLASSIFY_LOGISTIC; model <= BML_CLASSIFY_BNN; model++) {
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
    return 0;
}
