/* Lesson 16: a leak made on purpose. Noise is classified with an AUC of 0.9, because the columns were chosen with the test
   rows in sight. One line makes the difference.
   cc -std=c99 -O2 -I. examples/lessons/16_leak.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_CLASSIFY_IMPLEMENTATION
#include "bml_classify.h"

enum { ROWS = 60, NOISE = 1000, CHOSEN = 10, FOLDS = 5, TRIES = 60 };
static double x[ROWS][NOISE];
static int y[ROWS];
static bml_classify_data data = {
    .n = ROWS,
    .d = NOISE,
    .n_class = 2,
    .x = x[0],
    .y = y,
};

/* The columns whose class means differ most, by the rows given. */
static void choose(int *column, const int *rows, int n) {
    static double difference[NOISE];
    for (int j = 0; j < NOISE; j++) {
        double sum = 0;
        for (int i = 0; i < n; i++)
            sum += y[rows[i]] ? x[rows[i]][j] : -x[rows[i]][j];
        difference[j] = fabs(sum);
    }
    for (int k = 0; k < CHOSEN; k++) {
        int best = 0;
        for (int j = 0; j < NOISE; j++)
            if (difference[j] > difference[best]) best = j;
        column[k] = best;
        difference[best] = -1;
    }
}

/* AUC over rows that the model was not fitted to. */
static double cross_validate(int leak, uint64_t seed) {
    int all[ROWS];
    int fold[ROWS];
    double score[ROWS];
    for (int i = 0; i < ROWS; i++)
        all[i] = i;
    must(bml_classify_folds(fold, &data, NULL, ROWS, FOLDS, seed, WHY));
    for (int k = 0; k < FOLDS; k++) {
        int train[ROWS];
        int column[CHOSEN];
        int n = 0;
        for (int i = 0; i < ROWS; i++)
            if (fold[i] != k) train[n++] = i;
        choose(column, leak ? all : train, leak ? ROWS : n); /* <- the leak */

        bml_classify_config config = {.columns = column, .n_columns = CHOSEN};
        bml_classify_model *model;
        must(bml_classify_fit(&model, &config, &data, train, n, WHY));
        for (int i = 0; i < ROWS; i++) {
            double p[2];
            must(bml_classify_predict(p, NULL, model, &data, &i, 1));
            if (fold[i] == k) score[i] = p[1];
        }
        bml_classify_model_free(model);
    }
    return bml_classify_auc(score, y, NULL, ROWS);
}

int main(void) {
    static double auc[2][TRIES];
    bml_classify_rng rng;
    bml_classify_rng_init(&rng, 1, 0);
    for (int attempt = 0; attempt < TRIES; attempt++) {
        for (int i = 0; i < ROWS; i++) {
            y[i] = i % 2;
            for (int j = 0; j < NOISE; j++)
                x[i][j] = bml_classify_rng_normal(&rng);
        }
        auc[0][attempt] = cross_validate(0, (uint64_t)attempt);
        auc[1][attempt] = cross_validate(1, (uint64_t)attempt);
    }

    picture("16_leak", 1, 1);
    panel("cross-validated AUC of pure noise", "density over 60 tries");
    set("xrange [0.2:1]");
    set("key top left");
    curve(HISTOGRAM, "columns chosen in each fold");
    density(auc[0], TRIES, 1, 0.2, 1, 24);
    curve(HISTOGRAM, "columns chosen before the split");
    density(auc[1], TRIES, 1, 0.2, 1, 24);
    show();
    return 0;
}
