/* blazar_importance.h: what the networks of classify_blazar look at: the share of their gradient per frequency, and how
   far a single flux or flux ratio among the most important ones gets. Public domain or MIT, see LICENSE. */
#ifndef BLAZAR_IMPORTANCE_H
#define BLAZAR_IMPORTANCE_H
#include "blazar_judge.h"

/* ==== what the nets look at ======================================================================================= */

enum { N_BEST = 4 };
enum { N_TOP = 10 };

typedef struct importance {
    double share[SMALL_BINS];       /* of the gradient */
    double complete[2][SMALL_BINS]; /* of sources measured: others, blazars */
    int top[N_TOP];                 /* bins, most important first */
    int n_top;
    double ratio_auc; /* mean over folds of the best flux ratio */
    int ratio[2];     /* the one chosen most often */
} importance;

/* Adds the shares of |d logit/d flux| over the measured bins, each source normalised to 1. */
static void add_gradients(double *share, const trained *t, const world *w, const int *row, int n) {
    const grid *g = grid_of(w, t->kind);
    int ch = t->kind == SMALL ? SMALL_CHANNELS : 1;
    ptrdiff_t n_in = net_inputs(t->net);
    float *x = zeroed(n * n_in, sizeof *x);
    float *dx = zeroed(n * n_in, sizeof *dx);
    make_inputs(x, n_in, t->kind, w, row, n, 0);
    nn_check(bml_nn_gradient(t->net, NULL, dx, 0, x, (size_t)n), t->net, "importance");
    for (int i = 0; i < n; i++) {
        const float *xi = x + i * n_in;
        const float *di = dx + i * n_in;
        double sum = 0;
        for (int b = 0; b < g->n; b++) {
            if (xi[ch * b] > 0) {
                sum += fabs((double)di[ch * b + (ch > 1)]);
            }
        }
        for (int b = 0; b < g->n && sum > 0; b++) {
            double middle = 0.5 * (g->edge[b] + g->edge[b + 1]);
            int to = bin_of(&w->coarse, middle);
            if (xi[ch * b] > 0 && to >= 0) {
                double slope = (double)di[ch * b + (ch > 1)];
                share[to] += fabs(slope) / sum;
            }
        }
    }
    free(x);
    free(dx);
}

/* Share of labelled sources of either class with a detection in each bin. */
static void completeness(importance *m, double *flux, const world *w) {
    double n[2] = {0, 0};
    int *count = zeroed(SMALL_BINS, sizeof *count);
    for (int i = 0; i < w->set->n; i++) {
        const sed *s = &w->set->sed[i];
        double *v = flux + (size_t)i * SMALL_BINS;
        grid_sed(v, count, &w->coarse, w->set, s, w->s->value);
        if (s->label < 0) {
            continue;
        }
        n[s->label]++;
        for (int b = 0; b < SMALL_BINS; b++) {
            m->complete[s->label][b] += isfinite(v[b]);
        }
    }
    for (int b = 0; b < SMALL_BINS; b++) {
        for (int i = 0; i < 2; i++) {
            m->complete[i][b] /= fmax(n[i], 1);
        }
    }
    free(count);
}

static double ratio_score(const double *v, int a, int b) {
    return a == b ? v[a] : v[a] - v[b];
}

/* AUC of the flux in bin a (b = a) or of the ratio of two over rows of fold k (test) or the others; rows without it
   take the median of the training rows. */
static double ratio_auc(const double *flux, int a, int b, const world *w, const int *fold, int k, int test) {
    int n = w->set->n;
    int *y = zeroed(n, sizeof *y);
    int m = 0;
    int t = 0;
    double *v = zeroed(2 * n, sizeof *v);
    double *train = v + n;
    for (int i = 0; i < n; i++) {
        double x = ratio_score(flux + (size_t)i * SMALL_BINS, a, b);
        if (fold[i] >= 0 && fold[i] != k && isfinite(x)) {
            train[t++] = x;
        }
    }
    qsort(train, (size_t)t, sizeof *train, by_value);
    double median = t ? train[t / 2] : 0;
    for (int i = 0; i < n; i++) {
        double x = ratio_score(flux + (size_t)i * SMALL_BINS, a, b);
        if (fold[i] < 0 || (fold[i] == k) != test) {
            continue;
        }
        v[m] = isfinite(x) ? x : median;
        y[m++] = w->set->sed[i].label;
    }
    double auc = bml_classify_auc(v, y, NULL, m);
    free(v);
    free(y);
    return auc;
}

/* For each fold the single flux or ratio among the top bins that is best on the training rows, judged on the test
   rows. */
static void best_ratio(importance *m, const double *flux, const outcome *o, const world *w) {
    int votes[N_TOP][N_TOP] = {{0}};
    int most = 0;
    int n = 0;
    m->ratio_auc = 0;
    for (int k = 0; k < o->n_run; k++) {
        double best = 0;
        double sign = 1;
        int at[2] = {0, 0};
        for (int a = 0; a < m->n_top; a++) {
            for (int b = 0; b <= a; b++) {
                double auc = ratio_auc(flux, m->top[a], m->top[b], w, o->fold, k, 0);
                double good = fmax(auc, 1 - auc);
                if (good > best) {
                    best = good;
                    sign = auc >= 0.5 ? 1 : -1;
                    at[0] = a;
                    at[1] = b;
                }
            }
        }
        int up = m->top[at[0]];
        int down = m->top[at[1]];
        double test = ratio_auc(flux, up, down, w, o->fold, k, 1);
        if (!isnan(test)) {
            m->ratio_auc += sign > 0 ? test : 1 - test;
            n++;
        }
        if (++votes[at[0]][at[1]] > most) {
            most = votes[at[0]][at[1]];
            m->ratio[0] = up;
            m->ratio[1] = down;
        }
    }
    m->ratio_auc /= fmax(n, 1);
}

/* The bins of the largest shares, largest first; those without any left out. */
static void rank_bins(importance *m) {
    int taken[SMALL_BINS] = {0};
    for (m->n_top = 0; m->n_top < N_TOP; m->n_top++) {
        int best = -1;
        double most = 0;
        for (int b = 0; b < SMALL_BINS; b++) {
            if (!taken[b] && m->share[b] > most) {
                best = b;
                most = m->share[b];
            }
        }
        if (best < 0) {
            break;
        }
        taken[best] = 1;
        m->top[m->n_top] = best;
    }
}

/* From the four nets of lowest validation loss, on their own test rows. */
static void explain(importance *m, const outcome *o, const world *w) {
    int used[MAX_FOLDS] = {0};
    int rows = 0;
    int *test = zeroed(w->set->n, sizeof *test);
    double *flux = zeroed(w->set->n * SMALL_BINS, sizeof *flux);
    memset(m, 0, sizeof *m);
    int k;
    for (int i = 0; i < N_BEST && i < o->n_run; i++) {
        int best = -1;
        double least = 0;
        int n = 0;
        for (k = 0; k < o->n_run; k++) {
            double loss = o->kept[k].val_loss;
            if (!used[k] && (best < 0 || loss < least)) {
                best = k;
                least = loss;
            }
        }
        used[best] = 1;
        for (k = 0; k < w->set->n; k++) {
            if (o->fold[k] == best) {
                test[n++] = k;
            }
        }
        add_gradients(m->share, &o->kept[best], w, test, n);
        rows += n;
    }
    for (int b = 0; b < SMALL_BINS; b++) {
        m->share[b] /= fmax(rows, 1);
    }
    completeness(m, flux, w);
    rank_bins(m);
    best_ratio(m, flux, o, w);
    free(flux);
    free(test);
}
#endif
