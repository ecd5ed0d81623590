/* Lesson 27: a density that is known by its samples alone: its distribution, and how far that can be trusted.
   cc -std=c99 -O2 -I. examples/lessons/27_samples.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

int main(void) {
    static double sample[1000];
    const size_t n[2] = {30, 1000};
    bml_sample_rng rng;
    bml_sample_rng_init(&rng, 1, 0);
    bml_sample_rng_normals(sample, 1000, &rng);
    picture("27_samples", 1, 2);
    for (int k = 0; k < 2; k++) {
        bml_sample_table *table;
        must(bml_sample_table_from_samples(&table, sample, n[k], 0, WHY));
        const double error = bml_sample_table_error(table); /* of all x at once, in 95 % of all cases */
        panel("x [{/Symbol s}]", "cumulative distribution");
        set("title '%d samples: {/Symbol \\261} %.2f'", (int)n[k], error);
        set("yrange [0:1.6]");
        curve(BAND, "95 % band");
        for (double x = -3; x <= 3; x += 0.02) {
            double cdf;
            must(bml_sample_table_cdf(table, &cdf, NULL, &x, 1));
            point3(x, fmax(0, cdf - error), fmin(1, cdf + error));
        }
        curve(LINE, "from the samples");
        for (double x = -3; x <= 3; x += 0.02) {
            double cdf;
            must(bml_sample_table_cdf(table, &cdf, NULL, &x, 1));
            point(x, cdf);
        }
        curve(LINE, "truth: normal");
        for (double x = -3; x <= 3; x += 0.02)
            point(x, 0.5 * erfc(-x / sqrt(2)));
        bml_sample_table_free(table);
    }
    show();
    return 0;
}
