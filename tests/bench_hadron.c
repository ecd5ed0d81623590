/* bench_hadron.c: how long a lepto-hadronic source takes, on one core. Prints lines "name value unit".
   A source is one solution from empty to t = 5 (electrons, photons, pairs, protons; 12 steps) over 40 fixed random
   rows, each solved once a repeat; then the spectra of photons and neutrinos. */
#include "bench.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#define BML_HADRON_IMPLEMENTATION
#include "bml_hadron.h"
#include "hadron_ssc.h"
#include <stdint.h>

enum { N_ROWS = 40, REPEATS = 5, N_NU = 200 };

static double uniform(uint64_t *state, double lo, double hi) { /* splitmix64 */
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return lo + (hi - lo) * ((double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0);
}

static void draw(bml_ssc_source *e, bml_hadron_source *p) {
    uint64_t state = 20260101;
    memset(e, 0, N_ROWS * sizeof *e);
    memset(p, 0, N_ROWS * sizeof *p);
    for (int i = 0; i < N_ROWS; i++) {
        e[i].R = pow(10, uniform(&state, 14, 18));
        e[i].B = pow(10, uniform(&state, -2, 2));
        e[i].gamma_min = pow(10, uniform(&state, 0.1, 3));
        e[i].gamma_max = e[i].gamma_min * pow(10, uniform(&state, 2, 4));
        e[i].compactness = pow(10, uniform(&state, -5, -1));
        e[i].p = uniform(&state, 1.5, 3);
        e[i].self_absorption = BML_SSC_SSA;
        double top = log10(bml_ssc_gamma_confined(e[i].R, e[i].B) / 1836);
        if (top > 10) top = 10;
        p[i].gamma_min = 1;
        p[i].gamma_max = pow(10, uniform(&state, 4, top < 5 ? 5 : top));
        p[i].compactness = pow(10, uniform(&state, -6, -3));
        p[i].p = uniform(&state, 1.5, 2.5);
    }
}

int main(void) {
    static bml_ssc_source e[N_ROWS];
    static bml_hadron_source p[N_ROWS];
    double nu[N_NU];
    double log_E[N_NU];
    double out[3 * N_NU];
    double each[N_ROWS * REPEATS];
    double create[REPEATS];
    double read[REPEATS];
    double ns[REPEATS];
    bml_ssc *tables;
    bml_ssc_blob *blob;
    bml_hadron *kernels = NULL;
    bml_hadron_blob *protons = NULL;
    bml_ssc_observer see;
    bml_hadron_observer hear;
    const char *why;
    memset(&see, 0, sizeof see);
    memset(&hear, 0, sizeof hear);
    see.redshift = hear.redshift = 0.3;
    see.delta = hear.delta = 20;
    for (int i = 0; i < N_NU; i++) {
        nu[i] = pow(10, 8 + 0.1 * i);
        log_E[i] = 0.05 * i;
    }
    draw(e, p);
    if (bml_ssc_create(&tables, NULL, NULL) || bml_ssc_blob_create(&blob, tables, NULL)) return 1;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        double start = bench_seconds();
        if (bml_hadron_create(&kernels, NULL, NULL)) return 1;
        create[repeat] = (bench_seconds() - start) * 1e3;
        if (bml_hadron_blob_create(&protons, kernels, NULL)) return 1;
        ns[repeat] = bench_expf_ns();
        read[repeat] = 0;
        for (int i = 0; i < N_ROWS; i++) {
            start = bench_seconds();
            if (hadron_ssc_solve(blob, protons, &e[i], &p[i], 0, &why)) {
                fprintf(stderr, "row %d: %s\n", i, why);
                return 1;
            }
            double solved = bench_seconds();
            each[repeat * N_ROWS + i] = (solved - start) * 1e3;
            if (bml_ssc_sed(out, nu, N_NU, blob, &see, BML_SSC_TOTAL)) return 1;
            if (bml_hadron_neutrinos(out, log_E, N_NU, protons, &hear)) return 1;
            read[repeat] += (bench_seconds() - solved) * 1e3 / N_ROWS;
        }
        bml_hadron_blob_free(protons);
        bml_hadron_free(kernels);
    }
    double ms = bench_median(each, N_ROWS * REPEATS);
    double expf_ns = bench_median(ns, REPEATS);
    printf("hadron_create %.3g ms\n", bench_median(create, REPEATS));
    printf("hadron_source_median %.3g ms\n", ms);
    printf("hadron_source_90_percent %.3g ms\n", each[N_ROWS * REPEATS * 9 / 10]);
    printf("hadron_source_in_expf %.3g expf\n", ms * 1e6 / expf_ns);
    printf("hadron_read %.3g ms\n", bench_median(read, REPEATS));
    bml_ssc_blob_free(blob);
    bml_ssc_free(tables);
    return 0;
}
