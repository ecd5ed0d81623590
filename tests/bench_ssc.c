/* bench_ssc.c: how long a SED takes, on one core. Prints lines "name value unit".
   A SED is one solution from empty to t = 5 and one spectrum of 500 points, over 100 fixed random rows of the published
   range; the median of 9 repeats of all rows, with one scalar expf measured between them. */
#include "bench.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#include <stdint.h>

enum { N_ROWS = 100, N_X = 500, REPEATS = 9 };

static double uniform(uint64_t *state, double lo, double hi) { /* splitmix64 */
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return lo + (hi - lo) * ((double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0);
}

/* Rows of the published range; draws whose range of gamma_max is empty are thrown away. */
static void draw(bml_ssc_source *s, int n) {
    uint64_t state = 20260101;
    memset(s, 0, (size_t)n * sizeof *s);
    for (int i = 0; i < n;) {
        double row[6];
        row[0] = uniform(&state, 14, 17);
        row[1] = uniform(&state, -2, 2);
        row[2] = uniform(&state, 0.1, 4);
        double top = log10(bml_ssc_gamma_confined(pow(10, row[0]), pow(10, row[1])));
        if (top > 8) top = 8;
        if (top <= row[2] + 2) continue;
        row[3] = uniform(&state, row[2] + 2, top);
        row[4] = uniform(&state, -5, -1);
        row[5] = uniform(&state, 1.5, 3);
        bml_ssc_source_from_row(&s[i++], row);
    }
}

/* Milliseconds of a SED on a grid; 0 and a message when a row fails. */
static void bench(const char *name, bml_ssc_grid grid) {
    static bml_ssc_source rows[N_ROWS];
    static double log_x[N_X];
    static double y[N_X];
    bml_ssc_config config;
    bml_ssc *t = NULL;
    bml_ssc_blob *b = NULL;
    double sed[REPEATS];
    double create[REPEATS];
    double ns[REPEATS];
    memset(&config, 0, sizeof config);
    config.grid = grid;
    draw(rows, N_ROWS);
    for (int i = 0; i < N_X; i++)
        log_x[i] = -15 + 25.0 * i / (N_X - 1);
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        double start = bench_seconds();
        if (bml_ssc_create(&t, &config, NULL)) exit(1);
        create[repeat] = (bench_seconds() - start) * 1e3;
        if (bml_ssc_blob_create(&b, t, NULL)) exit(1);
        bml_ssc_solve(b, &rows[0]); /* bring memory in */
        ns[repeat] = bench_expf_ns();
        start = bench_seconds();
        for (int i = 0; i < N_ROWS; i++) {
            int status = bml_ssc_solve(b, &rows[i]);
            if (!status) status = bml_ssc_spectrum(y, log_x, N_X, b, BML_SSC_TOTAL);
            if (status) {
                fprintf(stderr, "row %d: %s\n", i, bml_ssc_message(b));
                exit(1);
            }
        }
        sed[repeat] = (bench_seconds() - start) * 1e3 / N_ROWS;
        bml_ssc_blob_free(b);
        bml_ssc_free(t);
    }
    double ms = bench_median(sed, REPEATS);
    printf("ssc_%s_sed %.4f ms\n", name, ms);
    printf("ssc_%s_expf %.3f ns\n", name, bench_median(ns, REPEATS));
    printf("ssc_%s_sed_ratio %.0f expf\n", name, ms * 1e6 / bench_median(ns, REPEATS));
    printf("ssc_%s_create %.2f ms\n", name, bench_median(create, REPEATS));
}

int main(void) {
    bench("athena", BML_SSC_ATHENA);
    bench("converged", BML_SSC_CONVERGED);
    return 0;
}
