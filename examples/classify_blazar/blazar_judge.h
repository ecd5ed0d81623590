/* blazar_judge.h: how good the classifiers of classify_blazar are: all of them on the same folds, and their scores on
   the test rows. Public domain or MIT, see LICENSE. */
#ifndef BLAZAR_JUDGE_H
#define BLAZAR_JUDGE_H
#include "blazar_bands.h"
#include "blazar_nets.h"

/* ==== cross-validation ============================================================================================ */

typedef struct outcome {
    double *score[N_NETS];              /* [n] probability (radio: log flux) of test rows, NaN where not tested */
    double seconds[N_NETS];             /* of one fold, mean */
    double fold_auc[N_NETS][MAX_FOLDS]; /* NaN where one class only */
    double val_loss[N_NETS][MAX_FOLDS]; /* of networks, on validation rows: for the choice of settings */
    int *fold;                          /* [n] -1: not labelled */
    int n_run;                          /* folds that were run */
    int chosen[MAX_FOLDS][N_MEMBERS];   /* settings of the stack */
    trained kept[MAX_FOLDS];            /* networks of the kind `kept_net`, for importance and judging */
    int kept_net;                       /* the one that judges */
    double *judged;                     /* [n][n_run] probabilities of sources without a label, by the kept ones */
} outcome;

/* Sources with the fewest detections, a tenth of the labelled ones, are fold 0, the others fold 1; ties in the order of
   the table. */
static void sparse_fold(int *fold, const sed_set *set) {
    double *count = zeroed(2 * set->n + 1, sizeof *count);
    double *sorted = count + set->n;
    int n = 0;
    for (int i = 0; i < set->n; i++) {
        const sed *s = &set->sed[i];
        for (int k = 0; k < s->n; k++) {
            count[i] += !set->point[s->first + (size_t)k].limit;
        }
        count[i] += 1e-9 * i;
        if (s->label >= 0) {
            sorted[n++] = count[i];
        }
    }
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    for (int i = 0; i < set->n; i++) {
        int labelled = set->sed[i].label >= 0;
        fold[i] = labelled ? count[i] >= sorted[n / 10] : -1;
    }
    free(count);
}

/* Rows of fold k: test; of the others, shuffled, a tenth for validation. */
static void make_fold(fold_rows *f, const int *fold, int k, int n, uint64_t seed) {
    int *test = zeroed(n, sizeof *test);
    int m = 0;
    bml_classify_rng r;
    bml_classify_rng_init(&r, seed, ((uint64_t)1 << 42) + (uint64_t)k);
    f->row = zeroed(n, sizeof *f->row);
    f->n_test = 0;
    for (int i = 0; i < n; i++) {
        if (fold[i] == k) {
            test[f->n_test++] = i;
        } else if (fold[i] >= 0) {
            f->row[m++] = i;
        }
    }
    for (int i = m - 1; i > 0; i--) {
        int j = (int)uniform(&r, 0, i + 1);
        int t = f->row[i];
        f->row[i] = f->row[j];
        f->row[j] = t;
    }
    f->n_val = m / 10;
    f->n_train = m - f->n_val;
    memcpy(f->row + m, test, (size_t)f->n_test * sizeof *test);
    free(test);
}

/* Draws the folds; nothing is scored yet. */
static void begin_outcome(outcome *o, const world *w) {
    static const int order[] = {SMALL, POINTS, PUBLISHED, STACK, FOREST, RADIO};
    const settings *s = w->s;
    int n = w->set->n;
    char why[BML_CLASSIFY_MESSAGE] = "";
    memset(o, 0, sizeof *o);
    o->fold = zeroed(n, sizeof *o->fold);
    if (s->sparse) {
        sparse_fold(o->fold, w->set);
    } else if (bml_classify_folds(o->fold, w->table, NULL, 0, (int)s->folds, s->seed, why)) {
        fail("%s", why);
    }
    o->n_run = (int)(s->run_folds ? s->run_folds : s->folds);
    if (s->sparse) {
        o->n_run = 1;
    }
    o->judged = zeroed(w->n_judge * o->n_run, sizeof *o->judged);
    int k;
    for (k = 0; k < N_NETS; k++) {
        o->score[k] = zeroed(n, sizeof **o->score);
        for (int i = 0; i < w->set->n; i++) {
            o->score[k][i] = (double)NAN;
        }
    }
    for (k = N_NETS - 1; k >= 0; k--) {
        if (s->wanted[order[k]]) {
            o->kept_net = order[k];
        }
    }
}

static void free_outcome(outcome *o) {
    for (int k = 0; k < MAX_FOLDS; k++) {
        bml_nn_free(o->kept[k].net);
    }
    for (int k = 0; k < N_NETS; k++) {
        free(o->score[k]);
    }
    free(o->fold);
    free(o->judged);
    free(o);
}

static void keep_judged(outcome *o, const world *w, int k, const double *p, int stride) {
    for (int i = 0; i < w->n_judge; i++) {
        o->judged[i * o->n_run + k] = p[i * stride];
    }
}

static void print_speed(const trained *t, const fold_rows *f) {
    double first;
    double all = flops(&t->how, &first);
    double rows = f->n_train;
    double trained_flops = (3 * all - first) * rows;
    double asked_flops = all * f->n_val;
    printf("published net: %zu weights, %.4g MFLOP forward; an epoch of %d SEDs, and %d to validate: %.1f s, %.1f s of "
           "CPU time, %.1f GFLOP/s of that\n",
           bml_nn_n_params(t->net), 1e-6 * all, f->n_train, f->n_val, t->seconds, t->cpu,
           1e-9 * (trained_flops + asked_flops) / t->cpu);
    fflush(stdout);
}

/* Trains on fold k, asks the test rows: the mean of the copies. */
static void run_network(outcome *o, int net, int k, const world *w, const fold_rows *f, progress_bar *bar,
                        double done) {
    const int *test = f->row + f->n_train + f->n_val;
    int n = f->n_test;
    int all = n + (net == o->kept_net ? w->n_judge : 0);
    int *row = zeroed(all + 1, sizeof *row);
    double *p = zeroed(all + 1, sizeof *p);
    double *mean = zeroed(all + 1, sizeof *mean);
    memcpy(row, test, (size_t)n * sizeof *row);
    for (int i = n; i < all; i++) {
        row[i] = w->judge[i - n];
    }
    o->val_loss[net][k] = 0;
    double copies = (double)w->s->copies;
    for (long c = 0; c < w->s->copies; c++) {
        trained t;
        uint64_t seed = w->s->seed + (uint64_t)k + 1000 * (uint64_t)c;
        double before = done + (double)c / copies;
        train_net(&t, net, w, f, seed, bar, before);
        ask_net(p, &t, w, row, all);
        for (int i = 0; i < all; i++) {
            mean[i] += p[i] / copies;
        }
        o->val_loss[net][k] += t.val_loss / copies;
        if (net == PUBLISHED && !c) {
            print_speed(&t, f);
        }
        if (net == o->kept_net && !c) {
            o->kept[k] = t;
        } else {
            bml_nn_free(t.net);
        }
    }
    for (int i = 0; i < n; i++) {
        o->score[net][test[i]] = mean[i];
    }
    if (net == o->kept_net) {
        keep_judged(o, w, k, mean + n, 1);
    }
    free(row);
    free(p);
    free(mean);
}

/* log10 of the flux at 1.4 GHz, the table's column `at`; where there is none, less than any. */
static double radio_score(const world *w, int at, int row) {
    const bml_classify_data *table = w->table;
    if (at >= table->d) {
        return -30;
    }
    double v = table->x[row * table->d + at];
    return isfinite(v) ? v : -30;
}

/* The radio flux as a score: nothing is fitted. */
static void run_radio(outcome *o, int k, const world *w, const int *test, int n_test) {
    const bml_classify_data *table = w->table;
    int at = 0;
    while (at < table->d && strcmp(table->feature[at], band_name[0])) {
        at++;
    }
    for (int i = 0; i < n_test && at < table->d; i++) {
        o->score[RADIO][test[i]] = radio_score(w, at, test[i]);
    }
    if (o->kept_net != RADIO) {
        return;
    }
    for (int i = 0; i < w->n_judge; i++) {
        o->judged[i * o->n_run + k] = radio_score(w, at, w->judge[i]);
    }
}

/* Forest or stack: fits on the rows of the other folds, asks the test rows, and those to be judged. */
static void run_table(outcome *o, int net, int k, const world *w, const fold_rows *f) {
    const int *test = f->row + f->n_train + f->n_val;
    int n_train = f->n_train + f->n_val;
    if (net == RADIO) {
        run_radio(o, k, w, test, f->n_test);
        return;
    }
    double *p = zeroed(2 * (f->n_test + w->n_judge) + 2, sizeof *p);
    uint64_t seed = w->s->seed + (uint64_t)k;
    const bml_classify_data *table = w->table;
    bml_classify_model *m = fit_table(net, table, f->row, n_train, seed, o->chosen[k]);
    if (bml_classify_predict(p, NULL, m, table, test, f->n_test)) {
        fail("out of memory");
    }
    for (int i = 0; i < f->n_test; i++) {
        o->score[net][test[i]] = p[2 * i + 1];
    }
    if (net == o->kept_net && w->n_judge) {
        if (bml_classify_predict(p, NULL, m, table, w->judge, w->n_judge)) {
            fail("out of memory");
        }
        keep_judged(o, w, k, p + 1, 2);
    }
    bml_classify_model_free(m);
    free(p);
}

/* AUC of the rows of fold k that have a score; NaN without both classes. */
static double auc_of(const double *score, const sed_set *set, const int *fold, int k) {
    double *v = zeroed(set->n, sizeof *v);
    int *y = zeroed(set->n, sizeof *y);
    int n = 0;
    for (int i = 0; i < set->n; i++) {
        if (!isnan(score[i]) && fold[i] == k) {
            v[n] = score[i];
            y[n++] = set->sed[i].label;
        }
    }
    double auc = bml_classify_auc(v, y, NULL, n);
    free(v);
    free(y);
    return auc;
}

static void cross_validate(outcome *o, const world *w) {
    const settings *s = w->s;
    int done = 0;
    int n_nets = 0;
    for (int net = 0; net < N_NETS; net++) {
        n_nets += s->wanted[net];
    }
    progress_bar bar;
    progress_begin(&bar, "training", (double)o->n_run * n_nets, s->quiet);
    for (int k = 0; k < o->n_run; k++) {
        fold_rows f;
        make_fold(&f, o->fold, k, w->set->n, s->seed);
        for (int net = 0; net < N_NETS; net++) {
            double start = seconds_now();
            if (!s->wanted[net]) {
                continue;
            }
            if (net < SMALL) {
                run_table(o, net, k, w, &f);
            } else {
                run_network(o, net, k, w, &f, &bar, done);
            }
            double auc = auc_of(o->score[net], w->set, o->fold, k);
            double seconds = seconds_now() - start;
            o->fold_auc[net][k] = auc;
            o->seconds[net] += seconds / o->n_run;
            progress_at(&bar, ++done, NULL);
        }
        free(f.row);
    }
    progress_end(&bar);
}

/* ==== evaluation ================================================================================================== */

typedef struct net_scores {
    double auc;   /* of all test rows together */
    double error; /* DeLong's */
    double pr_auc;
    double mean;       /* of the AUC per fold */
    double sd;         /* of the same */
    double threshold;  /* nearest to (0, 1) */
    double matrix[4];  /* rows: class, columns: verdict */
    double gain;       /* AUC less the forest's, paired; NaN without */
    double gain_error; /* of the same */
} net_scores;

/* AUC of a less that of b, and its standard error, over rows that both have scored. */
static void paired(double *gain, double *error, const double *a, const double *b, const sed_set *set) {
    double *v = zeroed(2 * set->n, sizeof *v);
    double auc[2];
    double c[4];
    int *y = zeroed(set->n, sizeof *y);
    int n = 0;
    int k = 0;
    for (int i = 0; i < set->n; i++) {
        n += !isnan(a[i]) && !isnan(b[i]);
    }
    for (int i = 0; i < set->n; i++) {
        if (isnan(a[i]) || isnan(b[i])) {
            continue;
        }
        v[k] = a[i];
        v[n + k] = b[i];
        y[k++] = set->sed[i].label;
    }
    *gain = (double)NAN;
    *error = (double)NAN;
    if (!bml_classify_delong(auc, c, v, 2, y, n)) {
        double var = c[0] + c[3] - 2 * c[1];
        *gain = auc[0] - auc[1];
        *error = sqrt(fmax(var, 0));
    }
    free(v);
    free(y);
}

/* Scores and labels of the rows that a net has scored, in v[n] and y[n]; their number. */
static int scored_rows(double *v, int *y, const outcome *o, int net, const sed_set *set) {
    int n = 0;
    for (int i = 0; i < set->n; i++) {
        if (isnan(o->score[net][i])) {
            continue;
        }
        v[n] = o->score[net][i];
        y[n++] = set->sed[i].label;
    }
    return n;
}

static void evaluate(net_scores *e, const outcome *o, int net, const world *w) {
    const sed_set *set = w->set;
    double *v = zeroed(3 * set->n, sizeof *v);
    double *p = v + set->n;
    double folds[MAX_FOLDS];
    int *y = zeroed(set->n, sizeof *y);
    int m = 0;
    int n = scored_rows(v, y, o, net, set);
    double var;
    int status = bml_classify_delong(&e->auc, &var, v, 1, y, n);
    if (status) {
        e->auc = bml_classify_auc(v, y, NULL, n);
    }
    e->error = status ? (double)NAN : sqrt(var);
    e->pr_auc = bml_classify_pr_auc(v, y, NULL, n);
    e->threshold = bml_classify_nearest_threshold(v, y, NULL, n);
    for (int i = 0; i < n; i++) {
        p[2 * i + 1] = v[i] >= e->threshold;
        p[2 * i] = 1 - p[2 * i + 1];
    }
    bml_classify_confusion(e->matrix, p, y, NULL, n, 2, 0.5);
    for (int i = 0; i < o->n_run; i++) {
        double auc = o->fold_auc[net][i];
        if (!isnan(auc)) {
            folds[m++] = auc;
        }
    }
    bml_classify_mean_sd(&e->mean, &e->sd, folds, m);
    e->gain = (double)NAN;
    e->gain_error = (double)NAN;
    if (w->s->wanted[FOREST] && net != FOREST) {
        const double *forest = o->score[FOREST];
        paired(&e->gain, &e->gain_error, o->score[net], forest, set);
    }
    free(v);
    free(y);
}
#endif
