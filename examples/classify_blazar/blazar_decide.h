/* blazar_decide.h: whom classify_blazar calls a blazar. Scores of test rows become probabilities by a logistic
   regression of the label on the logit of the score; the threshold is the one of a stated purity or completeness. What
   that is worth is measured with thresholds from the other folds: no source has a say in its own. Public domain or MIT,
   see LICENSE. */
#ifndef BLAZAR_DECIDE_H
#define BLAZAR_DECIDE_H
#include "blazar_judge.h"

enum { LEAST_CALLED = 20 }; /* fewer test rows above a threshold do not tell its purity */

typedef struct decision {
    int reached;          /* some threshold has what is asked for */
    bml_classify_cut cut; /* on all test rows; the threshold is a probability */
    double purity;        /* of thresholds from the other folds; NaN with one fold only. So are the next two */
    double completeness;
    double called;
    double purity_error;       /* binomial */
    double completeness_error; /* binomial */
    double purest;             /* highest purity of thresholds that call a twentieth of the blazars */
    double calibration_error;  /* of the probabilities, each row's calibrated on the other folds */
    double share;              /* of blazars among the labelled sources */
    int n_blazars;
    bml_classify_model *calibration; /* from the scores of all test rows */
} decision;

/* The logit of a score; the radio flux, which is no probability, as it is. */
static double feature_of(double score, int net) {
    if (net == RADIO) {
        return score;
    }
    double p = fmin(fmax(score, 1e-6), 1 - 1e-6);
    return log(p / (1 - p));
}

/* Test rows of all folds that were run: their one feature and label, and the fold. */
typedef struct scored {
    bml_classify_data data; /* d = 1 */
    int *fold;
} scored;

static void collect_scores(scored *t, const outcome *o, int net, const world *w) {
    int n = w->set->n;
    memset(t, 0, sizeof *t);
    t->data.x = zeroed(n, sizeof *t->data.x);
    t->data.y = zeroed(n, sizeof *t->data.y);
    t->fold = zeroed(n, sizeof *t->fold);
    t->data.d = 1;
    t->data.n_class = 2;
    for (int i = 0; i < n; i++) {
        double score = o->score[net][i];
        if (isnan(score)) {
            continue;
        }
        int k = t->data.n++;
        t->data.x[k] = feature_of(score, net);
        t->data.y[k] = w->set->sed[i].label;
        t->fold[k] = o->fold[i];
    }
}

static void free_scores(scored *t) {
    free(t->data.x);
    free(t->data.y);
    free(t->fold);
}

/* The calibration from all rows but those of fold k (-1: from all); NULL when they are of one class. */
static bml_classify_model *calibrate(const scored *t, int k) {
    bml_classify_config c = {.model = BML_CLASSIFY_LOGISTIC, .l2 = 1e-3};
    bml_classify_model *m = NULL;
    int *row = zeroed(t->data.n, sizeof *row);
    char why[BML_CLASSIFY_MESSAGE];
    int n = 0;
    for (int i = 0; i < t->data.n; i++) {
        if (t->fold[i] != k) {
            row[n++] = i;
        }
    }
    int status = bml_classify_fit(&m, &c, &t->data, row, n, why);
    free(row);
    if (status == BML_CLASSIFY_NO_MEMORY) {
        fail("%s", why);
    }
    return m;
}

/* p[n] of all rows by a calibration. */
static void probabilities(double *p, const bml_classify_model *m, const bml_classify_data *data) {
    double *both = zeroed(2 * data->n, sizeof *both);
    if (bml_classify_predict(both, NULL, m, data, NULL, data->n)) {
        fail("out of memory");
    }
    for (int i = 0; i < data->n; i++) {
        p[i] = both[2 * i + 1];
    }
    free(both);
}

/* The threshold that is asked for, on rows that are not of fold k (-1: on all); 0 when there is none. */
static int find_cut(bml_classify_cut *cut, const scored *t, const double *p, int k, const settings *s) {
    int *y = zeroed(t->data.n, sizeof *y);
    for (int i = 0; i < t->data.n; i++) {
        y[i] = t->fold[i] == k ? -1 : t->data.y[i];
    }
    double purity = s->completeness > 0 ? 0 : s->purity;
    int status = bml_classify_threshold(cut, purity, s->completeness, p, y, NULL, t->data.n);
    free(y);
    if (status == BML_CLASSIFY_NO_MEMORY) {
        fail("out of memory");
    }
    return status == BML_CLASSIFY_OK;
}

/* Rows of fold k by calibration and threshold of the other folds: own[n] probabilities, and counts. */
static void try_fold(double *own, double *count, const scored *t, int k, const settings *s) {
    double *p = zeroed(t->data.n, sizeof *p);
    bml_classify_model *m = calibrate(t, k);
    bml_classify_cut cut = {.threshold = HUGE_VAL};
    if (m) {
        probabilities(p, m, &t->data);
    }
    if (m && !find_cut(&cut, t, p, k, s)) {
        cut.threshold = HUGE_VAL;
    }
    for (int i = 0; i < t->data.n; i++) {
        if (t->fold[i] != k) {
            continue;
        }
        int called = p[i] >= cut.threshold;
        int y = t->data.y[i];
        own[i] = p[i];
        count[0] += y;
        count[1] += called;
        count[2] += called && y;
    }
    bml_classify_model_free(m);
    free(p);
}

static double binomial_error(double share, double n) {
    if (!(n > 0)) {
        return (double)NAN;
    }
    double var = share * (1 - share) + 0.25 / n; /* not 0 where all or none are */
    return sqrt(var / n);
}

/* What thresholds are worth on sources that had no say in them. */
static void cross_check(decision *d, const scored *t, const outcome *o, const settings *s) {
    double count[3] = {0, 0, 0}; /* blazars, called, both */
    double *own = zeroed(t->data.n, sizeof *own);
    double *both = zeroed(2 * t->data.n, sizeof *both);
    bml_classify_scores scores;
    for (int k = 0; k < o->n_run; k++) {
        try_fold(own, count, t, k, s);
    }
    for (int i = 0; i < t->data.n; i++) {
        both[2 * i] = 1 - own[i];
        both[2 * i + 1] = own[i];
    }
    d->called = count[1];
    if (count[1] > 0) {
        d->purity = count[2] / count[1];
    }
    if (count[0] > 0) {
        d->completeness = count[2] / count[0];
    }
    d->purity_error = binomial_error(d->purity, count[1]);
    d->completeness_error = binomial_error(d->completeness, count[0]);
    if (bml_classify_score(&scores, both, t->data.y, NULL, t->data.n, 2)) {
        fail("out of memory");
    }
    d->calibration_error = scores.calibration_error;
    free(own);
    free(both);
}

/* From the test scores of the net that judges. */
static void decide(decision *d, const outcome *o, const world *w) {
    scored t;
    memset(d, 0, sizeof *d);
    d->purity = d->completeness = d->called = (double)NAN;
    d->purity_error = d->completeness_error = d->calibration_error = (double)NAN;
    collect_scores(&t, o, o->kept_net, w);
    for (int i = 0; i < t.data.n; i++) {
        d->n_blazars += t.data.y[i];
    }
    d->share = (double)d->n_blazars / t.data.n;
    d->calibration = calibrate(&t, -1);
    if (d->calibration) {
        double *p = zeroed(t.data.n, sizeof *p);
        probabilities(p, d->calibration, &t.data);
        d->reached = find_cut(&d->cut, &t, p, -1, w->s);
        if (d->cut.called < LEAST_CALLED) {
            d->reached = 0;
        }
        bml_classify_cut purest = {.purity = (double)NAN};
        bml_classify_threshold(&purest, 0, 0.05, p, t.data.y, NULL, t.data.n);
        d->purest = purest.purity;
        free(p);
        if (o->n_run > 1) {
            cross_check(d, &t, o, w->s);
        }
    }
    if (!d->reached) {
        d->cut.threshold = HUGE_VAL;
    }
    free_scores(&t);
}

/* The probability that belongs to a score of the net that judges. */
static double calibrated(const decision *d, const outcome *o, double score) {
    double x = feature_of(score, o->kept_net);
    double p[2];
    int y = -1;
    bml_classify_data one = {.n = 1, .d = 1, .n_class = 2, .x = &x, .y = &y};
    if (bml_classify_predict(p, NULL, d->calibration, &one, NULL, 1)) {
        fail("out of memory");
    }
    return p[1];
}

static void free_decision(decision *d) {
    bml_classify_model_free(d->calibration);
}
#endif
