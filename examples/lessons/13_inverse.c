/* Lesson 13: how a uniform number becomes a draw from any density: walk along u to the curve, then down to x.
   cc -std=c99 -O2 -I. examples/lessons/13_inverse.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

enum { DRAWS = 50000, POINTS_PER_CURVE = 400 };

/* Any density, any normalisation. */
static void bumps(double *p, const double *x, const double *z, int n, void *user) {
    (void)z;
    (void)user;
    for (int i = 0; i < n; i++)
        p[i] = exp(-x[i] / 2) * (1.2 + sin(3 * x[i]));
}

int main(void) {
    static double u[DRAWS];
    static double draw[DRAWS];
    double x[POINTS_PER_CURVE];
    double cdf[POINTS_PER_CURVE];
    double pdf[POINTS_PER_CURVE];
    bml_sample_table_config config = {.density = bumps, .lower = 0, .upper = 8};
    bml_sample_table *table;
    bml_sample_rng rng;
    bml_sample_rng_init(&rng, 1, 0);
    must(bml_sample_table_create(&table, &config, WHY));
    for (int i = 0; i < POINTS_PER_CURVE; i++)
        x[i] = 8.0 * i / (POINTS_PER_CURVE - 1);
    must(bml_sample_table_cdf(table, cdf, pdf, x, POINTS_PER_CURVE));
    printf("integral of the density as given: %.6f; error of the CDF below %.1e\n", bml_sample_table_integral(table),
           bml_sample_table_error(table));

    picture("13_inverse", 2, 1);
    panel("x", "u = C(x)");
    set("key bottom right opaque");
    curve(LINE, "cumulative distribution C");
    for (int i = 0; i < POINTS_PER_CURVE; i++)
        point(x[i], cdf[i]);
    curve(THIN, "25 numbers u, evenly spaced");
    for (int k = 0; k < 25; k++) {
        double level = (k + 0.5) / 25;
        double at;
        must(bml_sample_table_inverse(table, &at, &level, 1));
        point(0, level);
        point(at, level);
        point(at, 0);
        gap();
    }

    bml_sample_rng_fill(u, DRAWS, &rng);
    must(bml_sample_table_inverse(table, draw, u, DRAWS));
    panel("x", "density");
    curve(LINE, "density, normalised");
    for (int i = 0; i < POINTS_PER_CURVE; i++)
        point(x[i], pdf[i]);
    curve(HISTOGRAM, "50,000 draws");
    density(draw, DRAWS, 1, 0, 8, 80);
    show();
    bml_sample_table_free(table);
    return 0;
}
