/* farm_check.c: examples/common/farm.h under mpirun, called by tests/farm.sh and `make bench-mpi`.
     farm_check map N BLOCK   squares of N points, to standard output: the same bytes at any number of ranks
     farm_check slow          one point takes 100 times as long: seconds of a batch
     farm_check bench         points that sleep 50 ms: the share of the ideal
     farm_check die           the last rank dies at once; rank 0 must return and say "saved" */
#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include "farm.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

enum { N_IN = 3, N_OUT = 2 };

static volatile sig_atomic_t asked;

static void on_signal(int signal) {
    (void)signal;
    asked = 1;
}

static int stop(void) {
    return asked;
}

static void sleep_ms(double ms) {
    const struct timespec t = {(time_t)(ms / 1000), (long)(fmod(ms, 1000) * 1e6)};
    nanosleep(&t, NULL);
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* user: milliseconds that a point sleeps, a hundred times that where in[0] is 7; NULL for none. */
static void work(double *out, const double *in, int n, void *user) {
    for (int i = 0; i < n; i++, in += N_IN, out += N_OUT) {
        out[0] = in[0] * in[0] + sin(in[1]);
        out[1] = in[2] / 3;
        if (user) sleep_ms(*(double *)user * (in[0] == 7 ? 100 : 1));
    }
}

/* Points in[n][N_IN], numbered from first. */
static void fill(double *in, int n, int first) {
    for (int i = 0; i < n * N_IN; i++)
        in[i] = (double)(first + i / N_IN) + 0.001 * (i % N_IN);
}

/* Seconds that a batch of n points takes. */
static double timed(int n, int first, farm *f) {
    double *in = malloc((size_t)n * N_IN * sizeof *in);
    double *out = malloc((size_t)n * N_OUT * sizeof *out);
    if (!in || !out) return (double)NAN;
    fill(in, n, first);
    const double begin = seconds();
    const int status = farm_map(out, in, n, f);
    const double took = seconds() - begin;
    int missing = 0;
    for (int i = 0; i < n; i++)
        missing += isnan(out[i * N_OUT]);
    if ((missing > 0) != (status == FARM_STOPPED)) return (double)NAN;
    free(in);
    free(out);
    return took;
}

static int map(int n, farm *f) {
    double *in = malloc((size_t)n * N_IN * sizeof *in);
    double *out = calloc((size_t)n, N_OUT * sizeof *out);
    if (!in || !out) return 1;
    fill(in, n, 0);
    for (int again = 0; again < 3; again++) {
        const int status = farm_map(out, in, n, f);
        if (status) return fprintf(stderr, "%s\n", farm_strerror(status)), 1;
    }
    for (int i = 0; i < n * N_OUT; i++)
        printf("%a\n", out[i]);
    free(in);
    free(out);
    return 0;
}

int main(int argc, char **argv) {
    double ms = 0;
    farm f = {.n_in = N_IN, .n_out = N_OUT, .work = work, .stop = stop};
    farm_begin(&argc, &argv);
    signal(SIGTERM, on_signal);
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "map") && argc > 3) f.block = atoi(argv[3]);
    if (!strcmp(what, "slow")) ms = 5;
    if (!strcmp(what, "bench") || !strcmp(what, "die")) ms = 50;
    if (ms > 0) f.user = &ms;
    if (!strcmp(what, "die") && farm_rank() > 0 && farm_rank() == farm_ranks() - 1) abort();
    int status = 0;
    if (farm_rank() > 0) {
        farm_serve(&f);
    } else if (!strcmp(what, "map")) {
        status = map(argc > 2 ? atoi(argv[2]) : 10, &f);
    } else if (!strcmp(what, "slow")) {
        printf("%.3f\n", timed(100, 0, &f));
    } else if (!strcmp(what, "die")) {
        const double took = timed(2000, 100, &f);
        if (stop() && took < 60) printf("saved\n");
        fflush(stdout);
    } else {
        f.alone = 1;
        const double ideal = timed(40, 100, &f);
        f.alone = 0;
        printf("farm_of_ideal_at_%d_ranks %.3f 1\n", farm_ranks(), ideal / timed(40 * farm_ranks(), 100, &f));
    }
    if (!farm_rank()) farm_dismiss();
    farm_end();
    return status;
}
