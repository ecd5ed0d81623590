/* hello_sample.c: a million draws from a density that is typed in, and their histogram beside it.
   In a folder with this file and bml_sample.h:
       cc -std=c99 -O3 hello_sample.c -o hello_sample -lm && ./hello_sample */
#include <math.h>
#include <stdio.h>
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

static void density(double *p, const double *x, const double *z, int n, void *user) { /* any normalisation */
    (void)z;
    (void)user;
    for (int i = 0; i < n; i++)
        p[i] = exp(-x[i] / 2) * (1.2 + sin(3 * x[i]));
}

int main(void) {
    enum { N = 1000000, BINS = 40 };
    static double x[N];
    double count[BINS] = {0};
    double edge[BINS + 1];
    double cdf[BINS + 1];
    bml_sample_table_config config = {
        .density = density,
        .lower = 0,
        .upper = 8,
    };
    bml_sample_table *table;
    char why[BML_SAMPLE_MESSAGE];
    bml_sample_rng rng;
    bml_sample_rng_init(&rng, 1, 0);
    int status = bml_sample_table_create(&table, &config, why);
    if (status == BML_SAMPLE_NOT_CONVERGED) { /* usable, with a larger error than asked for */
        printf("%s\n", bml_sample_table_message(table));
        status = 0;
    }
    if (!status) status = bml_sample_table_draw(table, x, N, &rng);
    for (int k = 0; k <= BINS; k++)
        edge[k] = 8.0 * k / BINS;
    if (!status) status = bml_sample_table_cdf(table, cdf, NULL, edge, BINS + 1);
    if (status) {
        fprintf(stderr, "hello_sample: %s: %s\n", bml_sample_strerror(status), why);
        bml_sample_table_free(table);
        return 1;
    }
    for (int i = 0; i < N; i++)
        count[(int)(x[i] / 8 * BINS) % BINS]++;
    for (int k = 0; k < BINS; k++) { /* # for the draws, | where the density is */
        char bar[81] = "                                                                                ";
        for (int i = 0; i < 80 && i < count[k] / 2000; i++)
            bar[i] = '#';
        bar[(int)(500 * (cdf[k + 1] - cdf[k])) % 80] = '|';
        printf("%4.1f %s\n", edge[k], bar);
    }
    printf("CDF error below %.1e with %d intervals\n", bml_sample_table_error(table),
           bml_sample_table_intervals(table));
    bml_sample_table_free(table);
    return 0;
}
