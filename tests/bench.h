/* bench.h: what the benchmarks measure with. Include it, or common.h, before any other file.
   Times are processor time of the whole program, which keeps to one thread; medians over repeats, because the best of
   a few runs is one that nobody will see again. Beside them stands the cost of one scalar expf, measured in the same
   run: machines are shared and drift, the ratio of the two holds. */
#ifndef BENCH_H
#define BENCH_H
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#endif
#include <math.h>
#include <stdlib.h>
#include <time.h>

enum { BENCH_REPEATS = 15 };

static inline double bench_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline int bench_ascending(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of t[n], which is sorted. */
static inline double bench_median(double *t, int n) {
    qsort(t, (size_t)n, sizeof *t, bench_ascending);
    return 0.5 * (t[(n - 1) / 2] + t[n / 2]);
}

/* Seconds of one call: the median of repeats that are long enough for the clock. */
static inline double bench_call(void (*job)(void *), void *what) {
    double t[BENCH_REPEATS];
    int count = 0;
    job(what); /* brings memory in */
    double start;
    for (start = bench_seconds(); bench_seconds() - start < 0.02; count++)
        job(what);
    for (int i = 0; i < BENCH_REPEATS; i++) {
        start = bench_seconds();
        for (int k = 0; k < count; k++)
            job(what);
        t[i] = (bench_seconds() - start) / count;
    }
    return bench_median(t, BENCH_REPEATS);
}

/* A thousand expf, each waiting for the one before. */
static inline void bench_expf_chain(void *what) {
    volatile float *x = (volatile float *)what;
    float v = *x;
    for (int i = 0; i < 1000; i++)
        v = expf(-v);
    *x = v;
}
static inline double bench_expf_ns(void) {
    volatile float x = 0.5f;
    return 1e6 * bench_call(bench_expf_chain, (void *)&x);
}
#endif
