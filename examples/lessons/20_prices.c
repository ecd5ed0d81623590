/* Lesson 20: six ways to draw from one density, x exp(-x), and what they cost: evaluations of the density.
   cc -std=c99 -O2 -I. examples/lessons/20_prices.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

enum { DRAWS = 1000000, BINS = 400 };
static double draw[DRAWS];
static bml_sample_rng rng;

/* Counts how often it was asked. */
static void target(double *p, const double *x, const double *z, int n, void *user) {
    (void)z;
    *(double *)user += n;
    for (int i = 0; i < n; i++)
        p[i] = x[i] > 0 ? x[i] * exp(-x[i]) : 0;
}

/* A curve of cost against number of draws: what the tables took, and so much for each draw; checks the mean, 2. */
static void report(const char *name, double setup, double each) {
    double mean = 0;
    for (int i = 0; i < DRAWS; i++)
        mean += draw[i] / DRAWS;
    printf("%-20s mean %.4f, %8.0f evaluations before the first draw, %.2f for each\n", name, mean, setup, each);
    if (setup + each == 0) return;
    curve(LINE, name);
    for (double n = 1; n <= DRAWS; n *= 1.5)
        point(n, setup + each * n);
}

int main(void) {
    double asked = 0;
    bml_sample_rng_init(&rng, 1, 0);
    picture("20_prices", 1, 1);
    panel("number of draws", "evaluations of the density");
    set("logscale xy");
    set("format '10^{%%L}'");
    set("key top left");
    set("yrange [1:1e9]");

    bml_sample_rejection reject = {
        .density = target,
        .user = &asked,
        .lower = 0,
        .upper = 30,
        .bound = 0.368,
    };
    must(bml_sample_reject(draw, DRAWS, &reject, &rng));
    report("rejection", 0, asked / DRAWS);

    asked = 0;
    bml_sample_ratio ratio = {
        .density = target,
        .user = &asked,
        .s_max = 0.607,
        .v_min = 0,
        .v_max = 1.16,
    };
    must(bml_sample_ratio_of_uniforms(draw, DRAWS, &ratio, &rng));
    report("ratio of uniforms", 0, asked / DRAWS);

    asked = 0;
    bml_sample_table *table;
    bml_sample_table_config config = {.density = target, .user = &asked, .lower = 0, .upper = HUGE_VAL, .look = 1024};
    must(bml_sample_table_create(&table, &config, WHY));
    must(bml_sample_table_draw(table, draw, DRAWS, &rng));
    report("inverse CDF", asked, 0);
    bml_sample_table_free(table);

    asked = 0;
    const double lower = 0;
    const double upper = 30;
    bml_sample_cells *cells;
    bml_sample_cells_config boxes = {.density = target, .user = &asked, .n_dim = 1, .lower = &lower, .upper = &upper};
    int status = bml_sample_cells_create(&cells, &boxes, WHY);
    if (status != BML_SAMPLE_NOT_CONVERGED) must(status); /* with too few cells it is usable, and says so */
    printf("%s", bml_sample_cells_message(cells));
    must(bml_sample_cells_draw(cells, draw, DRAWS, NULL, 0, &rng));
    printf("%.0f cells, wrong by %.1e\n", bml_sample_cells_count(cells), bml_sample_cells_error(cells));
    report("adaptive cells", asked, 0);
    bml_sample_cells_free(cells);

    double weight[BINS]; /* a histogram of the density; its bars are drawn by an alias table, in one comparison each */
    static uint32_t bar[DRAWS];
    bml_sample_alias *alias;
    for (int k = 0; k < BINS; k++) {
        double x = 30 * (k + 0.5) / BINS;
        weight[k] = x * exp(-x);
    }
    must(bml_sample_alias_create(&alias, weight, BINS, WHY));
    must(bml_sample_alias_draw(alias, bar, DRAWS, &rng));
    for (int i = 0; i < DRAWS; i++)
        draw[i] = 30 * (bar[i] + bml_sample_rng_uniform(&rng)) / BINS;
    report("alias table of bars", BINS, 0);
    bml_sample_alias_free(alias);

    for (int i = 0; i < DRAWS; i++)
        draw[i] = bml_sample_rng_gamma(&rng, 4); /* somebody has thought about this one: a gamma distribution, k = 2 */
    report("a trick", 0, 0);
    show();
    return 0;
}
