/* blazar_bands.h: the classifiers of classify_blazar that see a few bands only: a table of features, a forest on it,
   and a stack whose settings are chosen within the training part. Public domain or MIT, see LICENSE. */
#ifndef BLAZAR_BANDS_H
#define BLAZAR_BANDS_H
#include "blazar_inputs.h"

/* ==== the table of bands ========================================================================================== */

/* log10 flux of the detections within 0.012 dex of a frequency (highest, mean or lowest); NaN where there are none. */
static double band_flux(const sed_set *set, const sed *s, double nu, int how) {
    double edge[2];
    double value = (double)NAN;
    edge[0] = nu - 0.012;
    edge[1] = nu + 0.012;
    grid g;
    g.edge = edge;
    g.n = 1;
    int count;
    grid_sed(&value, &count, &g, set, s, how);
    return value;
}

/* The bands of the tables for radio, forest and stack: those of the SDSS quasar table. */
static double band_nu(int b) {
    return wide_bands[b].nu;
}
static const char *const band_name[N_WIDE] = {"1p4GHz", "z", "i", "r", "g", "u", "1keV"};

static void add_feature(bml_classify_data *d, const char *name, const double *v) {
    int i;
    for (i = 0; i < d->n; i++) {
        if (isfinite(v[i])) {
            break;
        }
    }
    if (i == d->n) {
        return; /* nowhere measured */
    }
    if (d->d == MAX_FEATURES) {
        fail("too many features");
    }
    snprintf(d->feature[d->d], NAME, "%s", name);
    for (i = 0; i < d->n; i++) {
        d->x[i * MAX_FEATURES + d->d] = v[i];
    }
    d->d++;
}

/* Features of every source: log10 flux per band, whether detected, slopes between bands. */
static void make_table(bml_classify_data *d, const sed_set *set, int how) {
    double *v = zeroed(set->n * (N_WIDE + 1), sizeof *v);
    double *w = v + (size_t)set->n * N_WIDE;
    char name[NAME];
    memset(d, 0, sizeof *d);
    d->n = set->n;
    d->n_class = 2;
    d->x = zeroed(set->n * MAX_FEATURES, sizeof *d->x);
    d->y = zeroed(set->n, sizeof *d->y);
    d->feature = zeroed(MAX_FEATURES, sizeof *d->feature);
    for (int i = 0; i < set->n; i++) {
        d->y[i] = set->sed[i].label;
        for (int b = 0; b < N_WIDE; b++) {
            v[b * set->n + i] = band_flux(set, &set->sed[i], band_nu(b), how);
        }
    }
    for (int b = 0; b < N_WIDE; b++) {
        add_feature(d, band_name[b], v + b * set->n);
        for (int i = 0; i < set->n; i++) {
            w[i] = isfinite(v[b * set->n + i]);
        }
        snprintf(name, sizeof name, "seen_%s", band_name[b]);
        add_feature(d, name, w);
    }
    for (int a = 0; a < N_WIDE; a++) {
        for (int b = a + 1; b < N_WIDE; b++) {
            if (a > 0 && b - a > 1 && b < N_WIDE - 1) {
                continue; /* of the optical bands, neighbours */
            }
            for (int i = 0; i < set->n; i++) {
                w[i] = v[b * set->n + i] - v[a * set->n + i];
            }
            snprintf(name, sizeof name, "slope_%s_%s", band_name[a], band_name[b]);
            add_feature(d, name, w);
        }
    }
    for (int i = 0; i < set->n; i++) { /* rows closed up */
        memmove(d->x + (size_t)i * (size_t)d->d, d->x + (size_t)i * MAX_FEATURES, (size_t)d->d * sizeof *d->x);
    }
    free(v);
}

static void free_table(bml_classify_data *d) {
    free(d->x);
    free(d->y);
    free(d->feature);
}

/* ==== forest and stack ============================================================================================ */

enum { N_MEMBERS = 5 }; /* of the stack */
enum { N_CHOICES = 3 }; /* strengths to choose from for each */

typedef struct recipe {
    bml_classify_config config;
    bml_classify_config member[N_MEMBERS];
    int column[N_MEMBERS][MAX_FEATURES];
} recipe;

/* Columns of all features, or of all but the slopes. */
static int pick(int *column, const bml_classify_data *d, int derived) {
    int n = 0;
    for (int k = 0; k < d->d; k++) {
        if (derived || strncmp(d->feature[k], "slope", 5)) {
            column[n++] = k;
        }
    }
    return n;
}

static void set_forest(bml_classify_config *c) {
    c->model = BML_CLASSIFY_FOREST;
    c->min_leaf = 5;
}

/* Candidates for each member of the stack: three strengths. */
static void set_member(bml_classify_config *c, int member, int choice) {
    static const double l2[N_CHOICES] = {0.3, 3, 30};
    static const double scale[N_CHOICES] = {1.5, 2, 3};
    static const int trees[N_CHOICES] = {60, 120, 240};
    static const int leaf[N_CHOICES] = {3, 8, 20};
    static const int units[N_CHOICES] = {4, 8, 16};
    if (member == 0) {
        c->model = BML_CLASSIFY_LOGISTIC;
        c->l2 = l2[choice];
    }
    if (member == 1) {
        c->model = BML_CLASSIFY_FOREST;
        c->random_cuts = 1;
        c->column_share = 0.5;
        c->trees = 200;
        c->min_leaf = leaf[choice];
    }
    if (member == 2) {
        c->model = BML_CLASSIFY_BOOST;
        c->rate = 0.05;
        c->depth = 2;
        c->column_share = 0.3;
        c->trees = trees[choice];
    }
    if (member == 3) {
        c->model = BML_CLASSIFY_DNN;
        c->copies = 10;
        c->cosine = 1;
        c->rate = 0.005;
        c->hidden = units[choice];
        c->epochs = choice < 2 ? 30 : 15;
        c->l2 = choice == 1 ? 1e-3 : 0;
    }
    if (member == 4) {
        c->model = BML_CLASSIFY_KERNEL;
        c->scale = scale[choice];
        c->l2 = choice < 2 ? 0.05 : 0.02;
        c->copies = 3;
    }
}

/* Mean log loss of a configuration over 5 folds of the training rows. */
static double inner_loss(const bml_classify_config *c, const bml_classify_data *d, const int *row, int n,
                         uint64_t seed) {
    int *fold = zeroed(n, sizeof *fold);
    int *train = zeroed(n, sizeof *train);
    int *test = zeroed(n, sizeof *test);
    double *p = zeroed(2 * n, sizeof *p);
    double loss = 0;
    char why[BML_CLASSIFY_MESSAGE] = "";
    if (bml_classify_folds(fold, d, row, n, 5, seed, why)) {
        fail("%s", why);
    }
    int i;
    int a;
    int b;
    for (int k = 0; k < 5; k++) {
        for (a = b = i = 0; i < n; i++) {
            if (fold[i] == k) {
                test[b++] = row[i];
            } else {
                train[a++] = row[i];
            }
        }
        bml_classify_model *m;
        if (bml_classify_fit(&m, c, d, train, a, why)) {
            fail("%s", why);
        }
        if (bml_classify_predict(p, NULL, m, d, test, b)) {
            fail("out of memory");
        }
        for (i = 0; i < b; i++) {
            loss -= log(fmax(p[2 * i + d->y[test[i]]], 1e-15)) / n;
        }
        bml_classify_model_free(m);
    }
    free(fold);
    free(train);
    free(test);
    free(p);
    return loss;
}

/* The stack: for each member the best of its candidates, by folds within the training rows; test rows have no say. */
static void set_stack(recipe *r, const bml_classify_data *d, const int *row, int n, uint64_t seed, int *chosen) {
    for (int m = 0; m < N_MEMBERS; m++) {
        double least = HUGE_VAL;
        for (int k = 0; k < N_CHOICES; k++) {
            bml_classify_config c = {0};
            set_member(&c, m, k);
            c.columns = r->column[m];
            c.n_columns = pick(r->column[m], d, m == 2);
            c.copies = 1;
            c.seed = seed;
            double loss = inner_loss(&c, d, row, n, seed);
            if (loss < least) {
                least = loss;
                chosen[m] = k;
            }
        }
        set_member(&r->member[m], m, chosen[m]);
        r->member[m].columns = r->column[m];
        r->member[m].n_columns = pick(r->column[m], d, m == 2);
    }
    r->config.model = BML_CLASSIFY_STACK;
    r->config.member = r->member;
    r->config.n_members = N_MEMBERS;
}

/* chosen[N_MEMBERS]: the settings of the stack. */
static bml_classify_model *fit_table(int net, const bml_classify_data *d, const int *row, int n, uint64_t seed,
                                     int *chosen) {
    recipe *r = zeroed(1, sizeof *r);
    bml_classify_model *m = NULL;
    char why[BML_CLASSIFY_MESSAGE] = "";
    if (net == FOREST) {
        set_forest(&r->config);
    } else {
        set_stack(r, d, row, n, seed, chosen);
    }
    r->config.seed = seed;
    int status = bml_classify_fit(&m, &r->config, d, row, n, why);
    if (status) {
        fail("%s: %s", bml_classify_strerror(status), why);
    }
    free(r);
    return m;
}
#endif
