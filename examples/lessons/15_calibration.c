/* Lesson 15: a classifier that is too sure of itself, before and after calibration on rows that it was not trained on.
   cc -std=c99 -O2 -I. examples/lessons/15_calibration.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_CLASSIFY_IMPLEMENTATION
#include "bml_classify.h"

enum { TRAIN = 600, HELD = 2000, TEST = 4000, ROWS = TRAIN + HELD + TEST, BINS = 10 };
static int y[ROWS];        /* the class; rows to train, then those held back, then those to test */
static double p[ROWS][2];  /* probability of each class, by the model */
static double score[ROWS]; /* that of class 1 */
static double knot[HELD];  /* of the isotonic regression, */
static double value[HELD]; /* and its values there */
static double calibrated[ROWS];

static void draw(const char *name, const double *probability) {
    double mean[BINS];
    double fraction[BINS];
    double weight[BINS];
    const int first = TRAIN + HELD;
    bml_classify_calibration_curve(mean, fraction, weight, BINS, probability + first, y + first, NULL, TEST);
    curve(PATH, name);
    for (int k = 0; k < BINS; k++)
        if (weight[k] > 20) point(mean[k], fraction[k]);
}

int main(void) {
    static double x[ROWS][2];
    static int rows[ROWS];
    bml_classify_rng rng;
    bml_classify_rng_init(&rng, 1, 0);
    for (int i = 0; i < ROWS; i++) { /* two classes that overlap */
        rows[i] = i;
        y[i] = i % 2;
        x[i][0] = bml_classify_rng_normal(&rng) + 0.7 * y[i];
        x[i][1] = bml_classify_rng_normal(&rng) + 0.7 * y[i];
    }
    bml_classify_data data = {
        .n = ROWS,
        .d = 2,
        .n_class = 2,
        .x = x[0],
        .y = y,
    };
    bml_classify_config config = {
        .model = BML_CLASSIFY_BOOST,
        .trees = 200,
        .depth = 5,
    };
    bml_classify_model *model;
    must(bml_classify_fit(&model, &config, &data, rows, TRAIN, WHY));
    must(bml_classify_predict(p[0], NULL, model, &data, rows, ROWS));
    for (int i = 0; i < ROWS; i++)
        score[i] = p[i][1];

    picture("15_calibration", 1, 1);
    panel("predicted probability", "share that is of the class");
    set("key bottom right");
    set("xrange [0:1]");
    set("yrange [0:1]");
    set("arrow from 0,0 to 1,1 nohead lw 2 dt 3");
    draw("boosted trees as they are", score);

    const double T = bml_classify_temperature(p[TRAIN], y + TRAIN, HELD, 2);
    for (int i = 0; i < ROWS; i++) {
        double yes = pow(p[i][1], 1 / T);
        double no = pow(p[i][0], 1 / T);
        calibrated[i] = yes / (yes + no);
    }
    draw("p^{1/T}, one number T for all", calibrated);

    int knots;
    must(bml_classify_isotonic(knot, value, &knots, score + TRAIN, y + TRAIN, HELD));
    for (int i = 0; i < ROWS; i++)
        calibrated[i] = bml_classify_isotonic_at(knot, value, knots, score[i]);
    draw("isotonic: any curve that rises", calibrated);
    show();
    bml_classify_model_free(model);
    return 0;
}
