/* check.h: the test harness. Each tests/test_*.c is one program: it calls CHECK... in order, and ends with
   `return check_done();`, whose line is the last that the program prints: "N passed, N failed, N skipped".
   A random test takes its seed from check_seed(argc, argv), so that `build/test_x 7` tries another one. */
#ifndef CHECK_H
#define CHECK_H
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__GNUC__) || defined(__clang__)
#define CHECK_PRINTF(fmt, args) __attribute__((format(printf, fmt, args), unused))
#define CHECK_UNUSED __attribute__((unused))
#else
#define CHECK_PRINTF(fmt, args)
#define CHECK_UNUSED
#endif

static int check_passed, check_failed, check_skipped;

/* One check: counts it and prints one line; a failing one names its function. The message is printf-like and says what was checked. */
#define CHECK(ok, ...) check_that((ok) ? 1 : 0, __FILE__, __LINE__, __func__, __VA_ARGS__)
/* |got - want| <= tol; NaN fails. */
#define CHECK_NEAR(got, want, tol, name) check_near((got), (want), (tol), __FILE__, __LINE__, __func__, (name))
/* got <= limit; NaN fails. Prints the measured number beside the limit. */
#define CHECK_LE(got, limit, name) check_le((got), (limit), __FILE__, __LINE__, __func__, (name))
#define SKIP(...) check_skip(__VA_ARGS__)

CHECK_PRINTF(5, 6) static void check_that(int ok, const char *file, int line, const char *test, const char *fmt, ...) {
    *(ok ? &check_passed : &check_failed) += 1;
    if (ok)
        printf("ok    ");
    else
        printf("FAIL  %s:%d: %s: ", file, line, test);
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    fflush(stdout);
}

CHECK_UNUSED static void check_near(double got, double want, double tol, const char *file, int line, const char *test,
                                    const char *name) {
    check_that(fabs(got - want) <= tol, file, line, test, "%s: %.10g, expected %.10g within %.3g", name, got, want,
               tol);
}

CHECK_UNUSED static void check_le(double got, double limit, const char *file, int line, const char *test,
                                  const char *name) {
    check_that(got <= limit, file, line, test, "%s: %.6g, must be <= %.6g", name, got, limit);
}

CHECK_PRINTF(1, 2) static void check_skip(const char *fmt, ...) {
    check_skipped++;
    printf("skip  ");
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

/* The seed of a random test: the first argument, else 1; printed so that a failure can be repeated. */
CHECK_UNUSED static unsigned long check_seed(int argc, char **argv) {
    unsigned long seed = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    printf("seed  %lu\n", seed);
    return seed;
}

/* Path of a real data file, or NULL where the folder of real data is absent. The text lives until the next call. */
CHECK_UNUSED static const char *check_data(const char *name) {
    static char path[512];
    const char *dir = getenv("BML_DATA");
    snprintf(path, sizeof path, "%s/%s", dir ? dir : "../shared/data", name);
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fclose(f);
    return path;
}

static int check_done(void) {
    printf("%d passed, %d failed, %d skipped\n", check_passed, check_failed, check_skipped);
    return check_failed != 0;
}
#endif
