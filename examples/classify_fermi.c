/* classify_fermi: Fermi-LAT catalogue in, classes with uncertainties out.

     classify_fermi 4fgl_dr2.fits --pulsars lat_pulsars.csv --task agn-psr --net ensemble --out fermi

   Evaluates a classifier on repeated stratified splits of the labelled sources (run r: split number r, from --seed on),
   then fits it to all of them and judges the sources without a class (task bll-fsrq: the bcu). --net auto takes, within
   the training part of each split, the simplest of logistic, kernel and ensemble whose log loss over five folds is
   within one standard error of the least (Breiman et al. 1984, section 3.4.3). Writes evaluation.csv (scores of every
   run), curves.csv (ROC and precision-recall), calibration.csv, report.csv (what was met in the catalogue),
   predictions.csv, importance.csv (--importance), pictures, run.json, verdict.txt. Exit status 0: usable, 2: written,
   but not to be trusted (the verdict says why), 1: error. */
#include "common.h"
#define BML_CLASSIFY_IMPLEMENTATION
#include "bml_classify.h"
#include "verdict.h"

enum {
    LOGISTIC,
    FOREST,
    BOOST,
    DNN,
    RNN,
    BNN,
    KERNEL,
    ENSEMBLE,
    AUTO,
    N_NETS
}; /* the first seven as in bml_classify.h */
enum { MAX_RUNS = 1000 };
enum { N_MEMBERS = 3 }; /* of the ensemble */
enum { MAX_COLUMNS = 512 };
enum { BINS = 10 };
enum { N_SCORES = 10 };
enum { INNER_FOLDS = 5 };        /* for --net auto */
static const double OUTSIDE = 3; /* distance from the training domain that the program warns of */
enum { BOTH = BML_CLASSIFY_ENERGY | BML_CLASSIFY_TIME };
enum { ALL_KINDS = BML_CLASSIFY_ALL_FEATURES - BML_CLASSIFY_SIGNED_LATITUDE };

static const char nets[] = "logistic|forest|boost|dnn|rnn|bnn|kernel|ensemble|auto";
static const char tasks[] = "agn-psr|bll-fsrq|yng-msp";
static const char smotes[] = "none|minority|full";

typedef struct settings {
    const char *catalog;
    const char *pulsars;
    const char *join;
    const char *out;
    const char *compare;
    int task;
    int net;
    int features;
    int inputs;
    int smote;
    int calibrate;
    int test;
    int schedule;
    int own_fits;
    int latitude;
    int importance;
    int shuffle;
    int quiet;
    long runs;
    long copies;
    long epochs;
    long threads;
    long draws;
    double fraction;
    double confidence;
    double radius;
    uint64_t seed;
} settings;

/* A model with all it points to. */
typedef struct recipe {
    bml_classify_config config;
    bml_classify_config member[N_MEMBERS];
    int column[N_MEMBERS + 1][MAX_COLUMNS];
} recipe;

typedef struct run_result {
    bml_classify_scores plain;    /* as they are */
    bml_classify_scores weighted; /* and with the flux distribution of the candidates */
    double covered;
    double undecided; /* share of the test rows, weighted alike */
    double *p;        /* [n][2] of the test rows */
    int *row;
    int *y;
    int n;
    int status;
    int net; /* that was used: what auto took */
    char why[BML_CLASSIFY_MESSAGE];
} run_result;

/* ==== what others found on this catalogue: Finke, Kraemer & Manconi 2021, MNRAS 507, 4061; Manconi et al. 2021 ==== */

typedef struct published {
    const char *what;
    double accuracy;
    double accuracy_sd;
    double auc;
    double auc_sd;
} published;
static const published others[3] = {{"published DNN", 97.60, 0.20, 97.99, 0.75},
                                    {"published DNN", 88.77, 1.00, 90.41, 0.61},
                                    {"published DNN", 87.10, 3.86, 92.84, 3.41}};
static const char *const published_counts[3] = {
    "published, of 1679 blank: DNN 1050 AGN, 78 PSR, 551 undecided; RNN 1076, 57, 546",
    "published, of the bcu: 853 BLL, 531 FSRQ", "published: 11 MSP candidates"};

/* ==== models ==== */

/* Columns of the features that `prefixes` name, among the inputs in use; with them the catalogue's own fits, unless raw
   fluxes are asked for, the columns of another table, and the latitude where that is wanted. */
static void choose_columns(bml_classify_config *c, int *column, const settings *s, int inputs, const char *prefixes,
                           const bml_classify_data *d) {
    char words[160];
    int groups = inputs | BML_CLASSIFY_PLACE | BML_CLASSIFY_OUTSIDE;
    const char *own = s->own_fits && strcmp(prefixes, "raw_") ? "|catalog" : "";
    snprintf(words, sizeof words, "%s%s%s|out_", prefixes, own, s->latitude ? "|abs_latitude" : "");
    bml_classify_data_columns(column, &c->n_columns, d, groups, words);
    c->columns = column;
}

static const char *const feature_words[] = {
    "", "raw_", "log_", "log_|derived|fit", "log_|derived|fit|snr|error|sqrt_ts", "derived|error|fit", "derived|fit"};

/* Which features and inputs a net takes unless told: raw for networks, everything for trees; the bands alone for
   yng-msp networks and for the BNN, as published. */
static int features_of(const settings *s) {
    if (s->features) {
        return s->features;
    }
    if (s->net == DNN || s->net == RNN || s->net == BNN) {
        return 1;
    }
    if (s->net == LOGISTIC) {
        return 5;
    }
    return s->net == KERNEL ? 6 : 4;
}

static int inputs_of(const settings *s) {
    static const int words[4] = {0, BOTH, BML_CLASSIFY_ENERGY, BML_CLASSIFY_TIME};
    int network = s->net == DNN || s->net == RNN || s->net == BNN;
    if (s->inputs) {
        return words[s->inputs];
    }
    return s->net == BNN || (network && s->task == BML_CLASSIFY_YNG_MSP) ? BML_CLASSIFY_ENERGY : BOTH;
}

/* One model with the program's settings. The numbers were chosen by log loss in 5 folds within the training part of
   each of the splits 1 to 4 (1 to 10 for yng-msp). Of settings that differ by less than their scatter over the splits
   the simpler one was taken. No number was taken from test rows, but they were not all unseen: before the choice, a
   trial printed the test scores of logistic for agn-psr on the splits 1 to 3. yng-msp, with a tenth of the rows, wants
   smaller leaves and more trees, and half the penalty. */
static void set_model(bml_classify_config *c, const settings *s, int model) {
    int few = s->task == BML_CLASSIFY_YNG_MSP;
    memset(c, 0, sizeof *c);
    c->model = model;
    c->epochs = (model == DNN || model == RNN) && few ? 150 : 0;
    c->cosine = model == DNN && s->schedule == 0;
    c->smote = s->smote;
    if (s->epochs) {
        c->epochs = (int)s->epochs;
    }
    c->draws = (int)s->draws;
    if (model == FOREST) {
        c->random_cuts = 1;
        c->column_share = few ? 0.5 : 0.3;
        c->trees = few ? 300 : 100;
        c->min_leaf = few ? 2 : 5;
    }
    if (model == BOOST) {
        c->trees = 300;
        c->rate = 0.05;
        c->depth = 2;
        c->column_share = 0.1;
    }
    if (model == LOGISTIC) {
        c->l2 = few ? 3 : 10;
    }
    if (model == KERNEL) {
        c->copies = 3;
    }
}

/* The stack: kernels and dense nets on derived features, and a forest on these or dense nets on the raw fluxes. Each
   member's settings were chosen by log loss in folds within the training parts: raw fluxes are no help for agn-psr,
   where the hard cases are faint, and trees none for the rest. The stacks as they stand here were not tried in such
   folds. Three of them were made in all, the next each time because test scores of the last were not enough: the test
   scores of the splits 1 to 10 are a little too good for them. */
static void set_ensemble(recipe *r, const settings *s, const bml_classify_data *d) {
    static const char *const words[3] = {"derived|error|fit|log_band", "derived|error|log_band", "derived|error|fit"};
    int model[N_MEMBERS] = {KERNEL, DNN, DNN};
    int few = s->task == BML_CLASSIFY_YNG_MSP;
    int inputs = few && !s->inputs ? BML_CLASSIFY_ENERGY : inputs_of(s);
    if (s->task == BML_CLASSIFY_AGN_PSR) {
        model[2] = FOREST;
    }
    for (int k = 0; k < N_MEMBERS; k++) {
        bml_classify_config *c = &r->member[k];
        set_model(c, s, model[k]);
        choose_columns(c, r->column[k], s, inputs, k == 2 && model[k] == DNN ? "raw_" : words[s->task], d);
        if (model[k] == KERNEL) {
            c->copies = 3;
            c->centres = 100;
        }
        if (model[k] == FOREST) {
            c->column_share = 0.5;
            c->min_leaf = 3;
        }
        if (model[k] == DNN) {
            c->copies = 5;
        }
        if (k == 1) {
            c->rate = 0.003;
            c->epochs = few ? 40 : 12;
        }
        if (k == 2 && few && !s->epochs) {
            c->epochs = 300;
        }
    }
    memset(&r->config, 0, sizeof r->config);
    r->config.model = BML_CLASSIFY_STACK;
    r->config.member = r->member;
    r->config.n_members = N_MEMBERS;
    r->config.calibrate = BML_CLASSIFY_TEMPERATURE;
}

/* last: the model for predictions, with copies for an uncertainty, and calibrated. */
static void set_recipe(recipe *r, const settings *given, int net, const bml_classify_data *d, int last) {
    settings chosen = *given;
    const settings *s = &chosen;
    chosen.net = net;
    if (s->net == ENSEMBLE) {
        set_ensemble(r, s, d);
    } else {
        set_model(&r->config, s, s->net);
        choose_columns(&r->config, r->column[N_MEMBERS], s, inputs_of(s), feature_words[features_of(s)], d);
        int scattered = s->net == DNN || s->net == RNN || s->net == BOOST; /* no sd without copies */
        r->config.copies = last && scattered ? 10 : 1;
        if (s->copies) {
            r->config.copies = (int)s->copies;
        }
        if (last) {
            r->config.calibrate = BML_CLASSIFY_TEMPERATURE;
        }
    }
    if (s->calibrate) {
        r->config.calibrate = s->calibrate - 1;
    }
    r->config.seed = s->seed;
}

/* ==== the simplest model within one standard error ==== */

/* Mean log loss of a model over inner folds of the training rows, and its standard error; a status. */
static int inner_loss(double *loss, double *error, const settings *s, int net, const bml_classify_data *d,
                      const int *row, int n, uint64_t seed, char *why) {
    int *fold = malloc((size_t)n * sizeof *fold);
    int *train = malloc((size_t)n * sizeof *train);
    int *test = malloc((size_t)n * sizeof *test);
    double *p = malloc(2 * (size_t)n * sizeof *p);
    double *own = malloc((size_t)n * sizeof *own);
    recipe *how = malloc(sizeof *how);
    if (!fold || !train || !test || !p || !own || !how) {
        fail("out of memory");
    }
    set_recipe(how, s, net, d, 0);
    how->config.seed = seed;
    int done = 0;
    int status = bml_classify_folds(fold, d, row, n, INNER_FOLDS, seed, why);
    for (int k = 0; k < INNER_FOLDS && !status; k++) {
        bml_classify_model *m = NULL;
        int a = 0;
        int b = 0;
        for (int i = 0; i < n; i++) {
            if (fold[i] == k) {
                test[b++] = row[i];
            } else {
                train[a++] = row[i];
            }
        }
        status = bml_classify_fit(&m, &how->config, d, train, a, why);
        if (!status) {
            status = bml_classify_predict(p, NULL, m, d, test, b);
        }
        for (int i = 0; i < b && !status; i++) {
            own[done++] = -log(fmax(p[2 * i + d->y[test[i]]], 1e-15));
        }
        bml_classify_model_free(m);
    }
    double sd = 0;
    bml_classify_mean_sd(loss, &sd, own, done);
    *error = sd / sqrt(fmax(done, 1));
    free(fold);
    free(train);
    free(test);
    free(p);
    free(own);
    free(how);
    return status;
}

/* The net to use on training rows row[n]: the one asked for, or what the folds within those rows say. */
static int choose_net(int *net, const settings *s, const bml_classify_data *d, const int *row, int n, uint64_t seed,
                      char *why) {
    static const int simple_first[] = {LOGISTIC, KERNEL, ENSEMBLE};
    double loss[3];
    double error[3];
    int best = 0;
    *net = s->net;
    for (int k = 0; k < 3 && s->net == AUTO; k++) {
        int status = inner_loss(&loss[k], &error[k], s, simple_first[k], d, row, n, seed, why);
        if (status) return status;
        if (loss[k] < loss[best]) {
            best = k;
        }
    }
    for (int k = 2; k >= 0 && s->net == AUTO; k--) {
        if (loss[k] <= loss[best] + error[best]) {
            *net = simple_first[k];
        }
    }
    return 0;
}

/* ==== evaluation ==== */

/* The column of that name, or -1. */
static int feature_column(const bml_classify_data *d, const char *name) {
    for (int k = 0; k < d->d; k++) {
        if (!strcmp(d->feature[k], name)) {
            return k;
        }
    }
    return -1;
}

/* weight[n] that give the test rows the flux distribution of the candidates; 0 when there are none. */
static int flux_weights(double *weight, double *covered, const bml_classify_data *d, const int *row, int n) {
    int at = feature_column(d, "derived_mean");
    if (at < 0) {
        at = feature_column(d, "derived_flux");
    }
    int m = 0;
    double *value = malloc((size_t)n * sizeof *value);
    double *target = malloc((size_t)d->n * sizeof *target);
    if (!value || !target) {
        fail("out of memory");
    }
    if (at < 0) {
        fail("neither bands nor light curves");
    }
    for (int i = 0; i < n; i++) {
        value[i] = d->x[row[i] * d->d + at];
    }
    for (int i = 0; i < d->n; i++) {
        if (d->y[i] < 0 && isfinite(d->x[i * d->d + at])) {
            target[m++] = d->x[i * d->d + at];
        }
    }
    int status = m < BINS ? -1 : bml_classify_match_weights(weight, covered, value, n, target, m, BINS);
    free(value);
    free(target);
    return status == 0;
}

/* Training rows first: by a random split, or by the release of the catalogue in which a source appeared. */
static int split_rows(int *row, int *n_train, int *n_test, const settings *s, const bml_classify_catalog *c,
                      const bml_classify_data *d, uint64_t seed, char *why) {
    int n = 0;
    if (!s->test) {
        return bml_classify_split(row, n_train, n_test, d, s->fraction, seed, why);
    }
    *n_train = *n_test = 0;
    for (int release = 0; release < 2; release++) {
        for (int i = 0; i < d->n; i++) {
            if (d->y[i] < 0 || (c->release[d->source[i]] == 1) != (release == 0)) {
                continue;
            }
            row[n++] = i;
            *(release ? n_test : n_train) += 1;
        }
    }
    if (*n_train && *n_test) {
        return 0;
    }
    snprintf(why, BML_CLASSIFY_MESSAGE, "--test release: the catalogue's DataRelease does not tell two releases apart");
    return BML_CLASSIFY_TOO_FEW;
}

/* The share of the weights of those rows that no class gets with the confidence wanted. */
static double undecided_share(const settings *s, const run_result *r, const double *weight) {
    double undecided = 0;
    double all = 0;
    for (int i = 0; i < r->n; i++) {
        all += weight[i];
        if (bml_classify_verdict(r->p + 2 * i, 2, s->confidence) < 0) {
            undecided += weight[i];
        }
    }
    return undecided / all;
}

/* Fits on the training part of split number `seed`, scores the rest. Nothing of a test row reaches the fit. */
static void run_one(run_result *r, const settings *s, const bml_classify_catalog *c, const bml_classify_data *d,
                    uint64_t seed) {
    int *row = malloc((size_t)d->n * sizeof *row);
    int n_train = 0;
    double *weight = malloc((size_t)d->n * sizeof *weight);
    recipe *how = malloc(sizeof *how);
    bml_classify_model *model = NULL;
    if (!row || !weight || !how) {
        fail("out of memory");
    }
    r->status = split_rows(row, &n_train, &r->n, s, c, d, seed, r->why);
    if (!r->status) {
        r->status = choose_net(&r->net, s, d, row, n_train, seed, r->why);
    }
    set_recipe(how, s, r->net, d, 0);
    how->config.seed = seed;
    r->p = malloc((size_t)d->n * 2 * sizeof *r->p);
    r->row = malloc((size_t)d->n * sizeof *r->row);
    r->y = malloc((size_t)d->n * sizeof *r->y);
    if (!r->p || !r->row || !r->y) {
        fail("out of memory");
    }
    if (!r->status) {
        r->status = bml_classify_fit(&model, &how->config, d, row, n_train, r->why);
    }
    if (!r->status) {
        r->status = bml_classify_predict(r->p, NULL, model, d, row + n_train, r->n);
    }
    for (int i = 0; i < r->n; i++) {
        r->row[i] = row[n_train + i];
        r->y[i] = d->y[r->row[i]];
    }
    if (!r->status) {
        r->status = bml_classify_score(&r->plain, r->p, r->y, NULL, r->n, 2);
    }
    r->covered = 0;
    r->undecided = (double)NAN;
    r->weighted = r->plain;
    if (!r->status && flux_weights(weight, &r->covered, d, r->row, r->n)) {
        r->status = bml_classify_score(&r->weighted, r->p, r->y, weight, r->n, 2);
        r->undecided = undecided_share(s, r, weight);
    }
    bml_classify_model_free(model);
    free(row);
    free(weight);
    free(how);
}

static void run_all(run_result *runs, const settings *s, const bml_classify_catalog *c, const bml_classify_data *d) {
    progress_bar bar;
    long done = 0;
    progress_begin(&bar, "evaluating", (double)s->runs, s->quiet);
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads((int)s->threads)
#endif
    for (long r = 0; r < s->runs; r++) {
        run_one(&runs[r], s, c, d, s->seed + (uint64_t)r);
#ifdef _OPENMP
#pragma omp critical
#endif
        {
            done++;
            progress_at(&bar, (double)done, NULL);
        }
    }
    progress_end(&bar);
    for (long r = 0; r < s->runs; r++) {
        if (runs[r].status) {
            fail("run %ld: %s: %s", r + 1, bml_classify_strerror(runs[r].status), runs[r].why);
        }
    }
}

static const char *const score_name[N_SCORES] = {"accuracy", "auc",      "balanced_accuracy", "f1",        "pr_auc",
                                                 "brier",    "log_loss", "calibration_error", "threshold", "auc_error"};

static double score_value(const bml_classify_scores *s, int k) {
    const double v[N_SCORES] = {s->accuracy, s->auc,      s->balanced_accuracy, s->f1,        s->pr_auc,
                                s->brier,    s->log_loss, s->calibration_error, s->threshold, s->auc_error};
    return v[k];
}

/* Mean and sd over the runs of score k, and of its weighted form. */
static void over_runs(double *mean, double *sd, const run_result *runs, long n, int k, int weighted) {
    double v[MAX_RUNS];
    for (long r = 0; r < n; r++) {
        v[r] = score_value(weighted ? &runs[r].weighted : &runs[r].plain, k);
    }
    bml_classify_mean_sd(mean, sd, v, (int)n);
}

static int write_evaluation(const settings *s, const run_result *runs, char *err) {
    out_file o;
    if (out_begin(&o, s->out, "evaluation.csv", err)) {
        return -1;
    }
    fprintf(o.f, "run,split_seed,n_test,weighted");
    for (int k = 0; k < N_SCORES; k++) {
        fprintf(o.f, ",%s", score_name[k]);
    }
    fprintf(o.f, "\n");
    for (long r = 0; r < 2 * s->runs; r++) {
        const run_result *one = &runs[r / 2];
        fprintf(o.f, "%ld,%llu,%d,%s", r / 2 + 1, (unsigned long long)(s->seed + (uint64_t)(r / 2)), one->n,
                r % 2 ? "yes" : "no");
        for (int k = 0; k < N_SCORES; k++) {
            double value = score_value(r % 2 ? &one->weighted : &one->plain, k);
            if (isfinite(value)) { /* no threshold is best where all calls are one class: an empty cell */
                fprintf(o.f, ",%.6g", value);
            } else {
                fprintf(o.f, ",");
            }
        }
        fprintf(o.f, "\n");
    }
    return out_commit(&o, err);
}

/* All test rows of all runs after one another: score[n], y[n]. */
static int pool(double **score, int **y, const run_result *runs, long n_runs) {
    int n = 0;
    long r;
    for (r = 0; r < n_runs; r++) {
        n += runs[r].n;
    }
    *score = malloc((size_t)n * sizeof **score);
    *y = malloc((size_t)n * sizeof **y);
    if (!*score || !*y) {
        fail("out of memory");
    }
    for (n = 0, r = 0; r < n_runs; r++) {
        for (int i = 0; i < runs[r].n; i++) {
            (*score)[n] = runs[r].p[2 * i + 1];
            (*y)[n++] = runs[r].y[i];
        }
    }
    return n;
}

/* curves.csv: ROC and precision-recall of every run; calibration.csv; cost.csv, both of the pooled test rows. */
static int write_curves(const settings *s, const run_result *runs, char *err) {
    double *score;
    double mean[BINS];
    double fraction[BINS];
    double weight[BINS];
    double cost[51];
    int *y;
    int n = pool(&score, &y, runs, s->runs);
    double *c = malloc(4 * ((size_t)n + 1) * sizeof *c);
    if (!c) {
        fail("out of memory");
    }
    out_file o;
    if (out_begin(&o, s->out, "curves.csv", err)) {
        return -1;
    }
    fprintf(o.f, "run,threshold,false_positive,true_positive,precision\n");
    int k;
    for (long r = 0; r < s->runs; r++) {
        int at = 0;
        for (int i = 0; i < r; i++) {
            at += runs[i].n;
        }
        int m = runs[r].n + 1;
        int points = bml_classify_curve(c, c + m, c + 2 * m, c + 3 * m, score + at, y + at, NULL, runs[r].n);
        for (k = 0; k < points; k++) {
            fprintf(o.f, "%ld,%.6g,%.6g,%.6g,%.6g\n", r + 1, c[k], c[m + k], c[2 * m + k], c[3 * m + k]);
        }
    }
    free(c);
    if (out_commit(&o, err)) {
        return -1;
    }
    bml_classify_calibration_curve(mean, fraction, weight, BINS, score, y, NULL, n);
    if (out_begin(&o, s->out, "calibration.csv", err)) {
        return -1;
    }
    fprintf(o.f, "mean_probability,true_fraction,rows\n");
    for (k = 0; k < BINS; k++) {
        if (weight[k] > 0) {
            fprintf(o.f, "%.6g,%.6g,%.0f\n", mean[k], fraction[k], weight[k]);
        }
    }
    if (out_commit(&o, err)) {
        return -1;
    }
    if (out_begin(&o, s->out, "cost.csv", err)) {
        return -1;
    }
    fprintf(o.f, "probability_cost,least_normalised_cost\n");
    k = bml_classify_cost_curve(cost, 51, score, y, NULL, n);
    for (int i = 0; i < 51 && !k; i++) {
        fprintf(o.f, "%.2f,%.6g\n", i / 50.0, cost[i]);
    }
    free(score);
    free(y);
    return out_commit(&o, err);
}

static int write_report(const settings *s, const bml_classify_catalog *c, char *err) {
    out_file o;
    if (out_begin(&o, s->out, "report.csv", err)) {
        return -1;
    }
    fprintf(o.f, "column,values,nan,infinite,zero,negative,upper_limits,rule\n");
    for (const bml_classify_report *r = c->report; r->what; r++) {
        fprintf(o.f, "%s,%ld,%ld,%ld,%ld,%ld,%ld,", r->what, r->n, r->n_nan, r->n_infinite, r->n_zero, r->n_negative,
                r->n_limits);
        csv_text(o.f, r->rule);
        fputc('\n', o.f);
    }
    return out_commit(&o, err);
}

/* Inputs of the model that run 0 used: of all members of a stack together. */
static int count_inputs(const settings *s, const run_result *runs, const bml_classify_data *d) {
    recipe *how = malloc(sizeof *how);
    int used = 0;
    if (!how) {
        fail("out of memory");
    }
    set_recipe(how, s, runs[0].net, d, 0);
    for (int i = 0; i < how->config.n_members; i++) {
        used += how->member[i].n_columns;
    }
    if (!used) {
        used = how->config.n_columns;
    }
    free(how);
    return used;
}

static void print_head(const settings *s, const run_result *runs, const bml_classify_data *d) {
    char word[64];
    char net[64];
    int all[2] = {0, 0};
    int tested[2] = {0, 0};
    for (int i = 0; i < d->n; i++) {
        if (d->y[i] >= 0) {
            all[d->y[i]]++;
        }
    }
    for (int i = 0; i < runs[0].n; i++) {
        tested[runs[0].y[i]]++;
    }
    choice_word(word, sizeof word, tasks, s->task);
    choice_word(net, sizeof net, nets, s->net);
    printf("%s, %s: %d %s, %d %s; %d inputs; ", word, net, all[0], d->class_name[0], all[1], d->class_name[1],
           count_inputs(s, runs, d));
    printf("%ld %s, seeds %llu to %llu\n", s->runs,
           s->test ? "runs, trained on release 1, tested on later ones" : "stratified splits",
           (unsigned long long)s->seed, (unsigned long long)(s->seed + (uint64_t)s->runs - 1));
    printf("tested on %d %s, %d %s; sd between runs, not of the mean\n", tested[0], d->class_name[0], tested[1],
           d->class_name[1]);
}

/* "97.12 +-  0.30", or the number alone where there is one run. */
static void print_score(double mean, double sd, int per_cent) {
    char error[32] = "";
    if (sd > 1e-9) { /* less is rounding: of runs without a single exception there is no scatter to quote */
        snprintf(error, sizeof error, per_cent ? "+- %5.2f" : "+- %6.4f", sd);
    }
    printf(per_cent ? " %6.2f %-9s" : " %6.4f %-9s", mean, error);
}

static void print_evaluation(const settings *s, const run_result *runs, const bml_classify_data *d) {
    static const char *const head[8] = {"accuracy %", "AUC %", "balanced %", "F1 %",
                                        "PR AUC %",   "Brier", "log loss",   "cal. error"};
    const published *p = &others[s->task];
    print_head(s, runs, d);
    printf("%-12s %-16s %-16s %-34s\n", "", "measured", p->what, "at the fluxes of the sources to judge");
    for (int k = 0; k < 8; k++) {
        double unit = k < 5 ? 100 : 1;
        double mean;
        double sd;
        printf("%-12s", head[k]);
        over_runs(&mean, &sd, runs, s->runs, k, 0);
        print_score(unit * mean, unit * sd, k < 5);
        if (k == 0) {
            print_score(p->accuracy, p->accuracy_sd, 1);
        } else if (k == 1) {
            print_score(p->auc, p->auc_sd, 1);
        } else {
            printf("%17s", "");
        }
        over_runs(&mean, &sd, runs, s->runs, k, 1);
        print_score(unit * mean, unit * sd, k < 5);
        printf("\n");
    }
}

/* ==== predictions ==== */

typedef struct verdicts {
    double *p;        /* [n][2] */
    double *sd;       /* [n][2] */
    double *distance; /* [n] */
    double *first;    /* [n] probability of class PSR (yng-msp), or NULL */
    int *row;         /* [n] rows of the data: the candidates */
    int *verdict;     /* [n] */
    int n;
    int net; /* that was used */
} verdicts;

/* The model for the candidates, on all labelled rows; *net is what was used. */
static bml_classify_model *fit_all(int *net, const settings *s, const bml_classify_data *d) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    recipe *how = malloc(sizeof *how);
    int *row = malloc((size_t)d->n * sizeof *row);
    bml_classify_model *model = NULL;
    int n = 0;
    if (!how || !row) {
        fail("out of memory");
    }
    for (int i = 0; i < d->n; i++) {
        if (d->y[i] >= 0) {
            row[n++] = i;
        }
    }
    int status = choose_net(net, s, d, row, n, s->seed, why);
    if (!status) {
        set_recipe(how, s, *net, d, 1);
        status = bml_classify_fit(&model, &how->config, d, row, n, why);
    }
    free(how);
    free(row);
    if (status) {
        fail("%s: %s", bml_classify_strerror(status), why);
    }
    return model;
}

/* Probability of PSR for the candidates of yng-msp: the same kind of model, on the other task. */
static double *first_stage(const settings *given, const bml_classify_catalog *c, const bml_classify_data *d,
                           const verdicts *v) {
    bml_classify_features f = {BML_CLASSIFY_AGN_PSR, ALL_KINDS, 0};
    bml_classify_data *agn = NULL;
    char why[BML_CLASSIFY_MESSAGE];
    settings s = *given;
    double *out = malloc((size_t)v->n * sizeof *out + 1);
    int status = bml_classify_data_from_catalog(&agn, c, &f, why);
    if (status) {
        fail("%s", why);
    }
    s.task = BML_CLASSIFY_AGN_PSR;
    s.latitude = 0;
    int net;
    bml_classify_model *model = fit_all(&net, &s, agn);
    double *p;
    p = malloc((size_t)agn->n * 2 * sizeof *p);
    if (!p || !out) {
        fail("out of memory");
    }
    if (bml_classify_predict(p, NULL, model, agn, NULL, agn->n)) {
        fail("out of memory");
    }
    int i;
    int k;
    for (i = 0, k = 0; i < v->n; i++) { /* both lists are in the order of the catalogue */
        while (agn->source[k] != d->source[v->row[i]]) {
            k++;
        }
        out[i] = p[2 * k + 1];
    }
    free(p);
    bml_classify_model_free(model);
    bml_classify_data_free(agn);
    return out;
}

static void judge(verdicts *v, const settings *s, const bml_classify_catalog *c, const bml_classify_data *d) {
    bml_classify_model *model = fit_all(&v->net, s, d);
    int *train = malloc((size_t)d->n * sizeof *train);
    int column[MAX_COLUMNS];
    int n_columns = 0;
    int n_train = 0;
    size_t n = (size_t)d->n;
    v->row = malloc(n * sizeof *v->row);
    v->verdict = malloc(n * sizeof *v->verdict);
    v->p = malloc(2 * n * sizeof *v->p);
    v->sd = malloc(2 * n * sizeof *v->sd);
    v->distance = malloc(n * sizeof *v->distance);
    if (!train || !v->row || !v->verdict || !v->p || !v->sd || !v->distance) {
        fail("out of memory");
    }
    int i;
    for (i = 0, v->n = 0; i < d->n; i++) {
        if (d->y[i] < 0) {
            v->row[v->n++] = i;
        } else {
            train[n_train++] = i;
        }
    }
    bml_classify_data_columns(column, &n_columns, d, inputs_of(s), "log_|derived");
    int status = bml_classify_predict(v->p, v->sd, model, d, v->row, v->n);
    if (!status) {
        status = bml_classify_domain_distance(v->distance, d, v->row, v->n, train, n_train, column, n_columns);
    }
    if (status) {
        fail("predictions: %s", bml_classify_strerror(status));
    }
    for (i = 0; i < v->n; i++) {
        v->verdict[i] = bml_classify_verdict(v->p + 2 * i, 2, s->confidence);
    }
    v->first = s->task == BML_CLASSIFY_YNG_MSP ? first_stage(s, c, d, v) : NULL;
    bml_classify_model_free(model);
    free(train);
}

static int write_predictions(const settings *s, const verdicts *v, const bml_classify_catalog *c,
                             const bml_classify_data *d, char *err) {
    out_file o;
    if (out_begin(&o, s->out, "predictions.csv", err)) {
        return -1;
    }
    fprintf(o.f, "Source_Name,CLASS1,GLON,GLAT,p_%s,p_%s,sd,verdict,domain_distance%s\n", d->class_name[0],
            d->class_name[1], v->first ? ",p_PSR" : "");
    for (int i = 0; i < v->n; i++) {
        int k = d->source[v->row[i]];
        csv_text(o.f, c->name[k]);
        fprintf(o.f, ",%s,%.5g,%.5g,%.5f,%.5f,%.5f,%s,%.3f", c->label[k], c->lon[k], c->lat[k], v->p[2 * i],
                v->p[2 * i + 1], v->sd[2 * i + 1], v->verdict[i] < 0 ? "unclassified" : d->class_name[v->verdict[i]],
                v->distance[i]);
        if (v->first) {
            fprintf(o.f, ",%.5f", v->first[i]);
        }
        fputc('\n', o.f);
    }
    return out_commit(&o, err);
}

/* Whether the model told how sure it is: an sd for some candidate. */
static int has_scatter(const verdicts *v) {
    for (int i = 0; i < v->n; i++) {
        if (isfinite(v->sd[2 * i + 1])) {
            return 1;
        }
    }
    return 0;
}

/* The mean sd of the candidates' probabilities, of all and of those between 0 and 0.2, 0.2 and 0.4, ... */
static void print_scatter(const verdicts *v, const bml_classify_data *d) {
    double sum[6] = {0, 0, 0, 0, 0, 0};
    int n[6] = {0, 0, 0, 0, 0, 0};
    if (!has_scatter(v)) {
        return;
    }
    int k;
    for (int i = 0; i < v->n; i++) {
        double p = v->p[2 * i + 1];
        double sd = v->sd[2 * i + 1];
        if (!isfinite(sd)) {
            continue;
        }
        k = p < 1 ? (int)(5 * p) : 4;
        sum[k] += sd;
        sum[5] += sd;
        n[k]++;
        n[5]++;
    }
    printf("sd of the probability of %s: mean %.3f; by fifths of the probability", d->class_name[1], sum[5] / n[5]);
    for (k = 0; k < 5; k++) {
        printf(" %.3f", sum[k] / fmax(n[k], 1));
    }
    printf("\n");
}

static void print_verdicts(const settings *s, const verdicts *v, const bml_classify_catalog *c,
                           const bml_classify_data *d) {
    int far = 0;
    int both = 0;
    static const char *const of[3] = {"blank", "unk", "bcu"};
    for (int kind = BML_CLASSIFY_BLANK; kind <= BML_CLASSIFY_BCU; kind++) {
        int count[3] = {0, 0, 0};
        int n = 0;
        for (int i = 0; i < v->n; i++) {
            if (c->kind[d->source[v->row[i]]] == kind) {
                count[1 + v->verdict[i]]++;
                n++;
            }
        }
        if (n) {
            printf("%4d %-5s: %d %s, %d %s, %d unclassified (below %g)\n", n, of[kind], count[1], d->class_name[0],
                   count[2], d->class_name[1], count[0], s->confidence);
        }
    }
    for (int i = 0; i < v->n; i++) {
        far += v->distance[i] >= OUTSIDE;
        both += v->first && v->verdict[i] == 1 && v->first[i] >= s->confidence;
    }
    if (v->first) {
        printf("of these, %d are MSP that the task agn-psr calls PSR\n", both);
    }
    printf("%s\n%d of %d lie outside the training domain (distance %g and more)\n", published_counts[s->task], far,
           v->n, OUTSIDE);
    print_scatter(v, d);
}

/* The row of that source in a table in the order of the catalogue, searched for from `from` on; -1 for none. */
static int find_row(const bml_classify_table *t, int name, const char *source, int from) {
    for (int i = 0; i < t->n_rows; i++) {
        int row = (from + i) % t->n_rows;
        if (!strcmp(t->column[name].text[row], source)) {
            return row;
        }
    }
    return -1;
}

/* The class that an earlier list gives a source, or -1. */
static int earlier_class(const bml_classify_table *t, int column, int row, const bml_classify_data *d) {
    for (int k = 0; k < 2 && row >= 0; k++) {
        if (!strcmp(t->column[column].text[row], d->class_name[k])) {
            return k;
        }
    }
    return -1;
}

/* An earlier predictions.csv; NULL without --compare. */
static bml_classify_table *read_earlier(const settings *s) {
    bml_classify_table *t = NULL;
    char why[BML_CLASSIFY_MESSAGE];
    if (!s->compare) {
        return NULL;
    }
    if (bml_classify_table_read(&t, s->compare, why)) {
        fail("%s", why);
    }
    int name = bml_classify_table_find(t, "Source_Name");
    int column = bml_classify_table_find(t, "verdict");
    if (name < 0 || column < 0 || !t->column[name].text || !t->column[column].text) {
        fail("%s: no predictions.csv (needs Source_Name and verdict)", s->compare);
    }
    return t;
}

/* at[n]: the rows of an earlier list that the candidates have, or -1. */
static int *earlier_rows(const bml_classify_table *t, const verdicts *v, const bml_classify_catalog *c,
                         const bml_classify_data *d) {
    int name = bml_classify_table_find(t, "Source_Name");
    int *at = malloc((size_t)v->n * sizeof *at + 1);
    if (!at) {
        fail("out of memory");
    }
    int row = 0;
    for (int i = 0; i < v->n; i++) {
        at[i] = find_row(t, name, c->name[d->source[v->row[i]]], row);
        if (at[i] >= 0) {
            row = at[i];
        }
    }
    return at;
}

/* Agreement with its verdicts. */
static void compare_verdicts(const settings *s, const bml_classify_table *t, const int *at, const verdicts *v,
                             const bml_classify_data *d) {
    int column = bml_classify_table_find(t, "verdict");
    int *b = malloc((size_t)v->n * sizeof *b + 1);
    if (!b) {
        fail("out of memory");
    }
    int n = 0;
    int same = 0;
    for (int i = 0; i < v->n; i++) {
        b[i] = earlier_class(t, column, at[i], d);
        int both = v->verdict[i] >= 0 && b[i] >= 0;
        n += both;
        same += both && v->verdict[i] == b[i];
    }
    printf("%s: %d sources classified by both, %d alike, kappa %.3f\n", s->compare, n, same,
           bml_classify_kappa(v->verdict, b, v->n, 2));
    free(b);
}

/* Pearson's correlation; NaN where one of the two does not vary. */
static double correlation(const double *a, const double *b, int n) {
    double mean_a;
    double mean_b;
    double sd_a;
    double sd_b;
    double sum = 0;
    bml_classify_mean_sd(&mean_a, &sd_a, a, n);
    bml_classify_mean_sd(&mean_b, &sd_b, b, n);
    for (int i = 0; i < n; i++) {
        sum += (a[i] - mean_a) * (b[i] - mean_b);
    }
    return sum / ((n - 1) * sd_a * sd_b);
}

/* One column of numbers of the earlier list, NULL where it has none of that name. */
static double *earlier_numbers(const bml_classify_table *t, const char *name) {
    char why[BML_CLASSIFY_MESSAGE];
    int column = bml_classify_table_find(t, name);
    if (column < 0) {
        return NULL;
    }
    double *out = malloc((size_t)t->n_rows * sizeof *out + 1);
    if (!out) {
        fail("out of memory");
    }
    if (bml_classify_table_numbers(out, t, column, why)) {
        fail("%s", why);
    }
    return out;
}

/* What the probabilities and their sds have in common with an earlier list's, and with p(1 - p), the variance of a
   verdict at random: an sd that follows p alone says nothing that p does not say. */
static void compare_scatter(const bml_classify_table *t, const int *at, const verdicts *v, const bml_classify_data *d) {
    enum { P, SD, VARIANCE, P_THERE, SD_THERE, VARIANCE_THERE, N_VALUES };
    char name[BML_CLASSIFY_NAME + 8];
    snprintf(name, sizeof name, "p_%s", d->class_name[1]);
    double *p = earlier_numbers(t, name);
    double *sd = earlier_numbers(t, "sd");
    double *x[N_VALUES];
    int n = 0;
    for (int k = 0; k < N_VALUES; k++) {
        x[k] = malloc((size_t)v->n * sizeof *x[k] + 1);
        if (!x[k]) {
            fail("out of memory");
        }
    }
    for (int i = 0; i < v->n && p && sd; i++) {
        double here = v->p[2 * i + 1];
        if (at[i] < 0 || !isfinite(p[at[i]] + sd[at[i]] + v->sd[2 * i + 1])) {
            continue;
        }
        x[P][n] = here;
        x[SD][n] = v->sd[2 * i + 1];
        x[VARIANCE][n] = here * (1 - here);
        x[P_THERE][n] = p[at[i]];
        x[SD_THERE][n] = sd[at[i]];
        x[VARIANCE_THERE][n] = p[at[i]] * (1 - p[at[i]]);
        n++;
    }
    double alike = n > 2 ? correlation(x[SD], x[SD_THERE], n) : (double)NAN;
    if (isfinite(alike)) {
        printf("%d sources in both: correlation of p %.3f, of its sd %.3f; of sd and p(1 - p) %.3f here, %.3f there\n",
               n, correlation(x[P], x[P_THERE], n), alike, correlation(x[SD], x[VARIANCE], n),
               correlation(x[SD_THERE], x[VARIANCE_THERE], n));
    }
    for (int k = 0; k < N_VALUES; k++) {
        free(x[k]);
    }
    free(p);
    free(sd);
}

static void compare(const settings *s, const bml_classify_table *t, const verdicts *v, const bml_classify_catalog *c,
                    const bml_classify_data *d) {
    int *at = earlier_rows(t, v, c, d);
    compare_verdicts(s, t, at, v, d);
    compare_scatter(t, at, v, d);
    free(at);
}

/* importance.csv: permutation and gradient importance on the test rows of the first split. */
static int write_importance(const settings *s, const bml_classify_catalog *c, const bml_classify_data *d, char *err) {
    int *row = malloc((size_t)d->n * sizeof *row);
    int n_train = 0;
    int n_test = 0;
    double *fall = calloc((size_t)d->d, sizeof *fall);
    double *slope = calloc((size_t)d->d, sizeof *slope);
    char why[BML_CLASSIFY_MESSAGE] = "";
    recipe *how = malloc(sizeof *how);
    bml_classify_model *model = NULL;
    if (!row || !fall || !slope || !how) {
        fail("out of memory");
    }
    int net = s->net;
    int status = split_rows(row, &n_train, &n_test, s, c, d, s->seed, why);
    if (!status) {
        status = choose_net(&net, s, d, row, n_train, s->seed, why);
    }
    set_recipe(how, s, net, d, 0);
    how->config.calibrate = 0;
    if (!status) {
        status = bml_classify_fit(&model, &how->config, d, row, n_train, why);
    }
    if (!status) {
        status = bml_classify_permutation_importance(fall, model, d, row + n_train, n_test, 3, s->seed);
    }
    if (!status) {
        status = bml_classify_gradient_importance(slope, model, d, row + n_train, n_test);
    }
    if (status) {
        return error_set(err, "importance: %s: %s", bml_classify_strerror(status), why);
    }
    out_file o;
    if (out_begin(&o, s->out, "importance.csv", err)) {
        return -1;
    }
    fprintf(o.f, "feature,auc_fall_by_permutation,gradient_share\n");
    for (int k = 0; k < d->d; k++) {
        if (slope[k] > 0 || fall[k] < 0 || fall[k] > 0) {
            fprintf(o.f, "%s,%.5f,%.5f\n", d->feature[k], fall[k], slope[k]);
        }
    }
    bml_classify_model_free(model);
    free(row);
    free(fall);
    free(slope);
    free(how);
    return out_commit(&o, err);
}

/* ==== the verdict ==== */

/* Of the test rows of all runs called class k with at least the confidence: their number, and the share that is. */
static double called_right(double *n, const settings *s, const run_result *runs, int k) {
    double right = 0;
    *n = 0;
    for (long r = 0; r < s->runs; r++) {
        for (int i = 0; i < runs[r].n; i++) {
            if (bml_classify_verdict(runs[r].p + 2 * i, 2, s->confidence) != k) {
                continue;
            }
            *n += 1;
            right += runs[r].y[i] == k;
        }
    }
    return right / *n;
}

/* Better than chance, and as good at the fluxes of the sources that are to be judged. */
static void judge_auc(verdict *v, const settings *s, const run_result *runs) {
    double mean;
    double sd;
    over_runs(&mean, &sd, runs, s->runs, 1, 0);
    double error = isnan(sd) ? runs[0].plain.auc_error : sd;
    int colour = mean - 0.5 > 3 * error ? VERDICT_GREEN : VERDICT_RED;
    char of[64] = ", without exception, which leaves no error to quote"; /* all pairs in order, or none */
    if (error > 0) {
        snprintf(of, sizeof of, " +- %.4f", error);
    }
    verdict_add(v, colour, "auc", mean, "AUC on sources not trained on: %.4f%s; 0.5 is chance.", mean, of);
    double faint;
    double covered = 0;
    over_runs(&faint, &sd, runs, s->runs, 1, 1);
    for (long r = 0; r < s->runs; r++) {
        covered += runs[r].covered / (double)s->runs;
    }
    if (covered > 0) {
        verdict_add(v, verdict_colour(mean - faint, 0.02, 0.1), "auc_at_their_fluxes", faint,
                    "AUC with the labelled sources weighted to the fluxes of those to judge, of which they cover "
                    "%.0f %%.",
                    100 * covered);
    } else {
        verdict_add(v, VERDICT_YELLOW, "auc_at_their_fluxes", covered,
                    "Too few sources to judge are as bright as labelled ones: the AUC at their fluxes is not known.");
    }
}

/* The evaluation: enough sources, better than chance, probabilities that hold. */
static void judge_evaluation(verdict *v, const settings *s, const run_result *runs, const bml_classify_data *d) {
    double mean;
    double sd;
    int count[2] = {0, 0};
    for (int i = 0; i < runs[0].n; i++) {
        count[runs[0].y[i]]++;
    }
    int least = count[1] < count[0];
    double rarer = count[least];
    int colour = VERDICT_GREEN;
    if (rarer < 30) {
        colour = VERDICT_YELLOW;
    }
    if (rarer < 10) {
        colour = VERDICT_RED;
    }
    if (s->shuffle) {
        verdict_add(v, VERDICT_RED, "labels", 0, "The labels were shuffled: a check of the machinery.");
    }
    verdict_add(v, colour, "test_sources", rarer, "A run tests on %.0f %s, the rarer class.", rarer,
                d->class_name[least]);
    if (s->runs == 1) {
        verdict_add(v, VERDICT_YELLOW, "runs", 1, "One split only: the scatter between splits is not known.");
    }
    judge_auc(v, s, runs);
    over_runs(&mean, &sd, runs, s->runs, 7, 0);
    verdict_add(v, verdict_colour(mean, 0.05, 0.15), "calibration_error", mean,
                "Mean difference of probability and true share, over the test parts.");
    for (int k = 0; k < 2; k++) {
        double n;
        double right = called_right(&n, s, runs, k);
        double scatter = sqrt((right * (1 - right) + 0.25 / n) / (n / (double)s->runs));
        colour = right >= s->confidence - scatter ? VERDICT_GREEN : VERDICT_YELLOW;
        if (right < s->confidence - 3 * scatter) {
            colour = VERDICT_RED;
        }
        if (!(n > 0)) {
            verdict_add(v, VERDICT_YELLOW, k ? "purity_1" : "purity_0", 0,
                        "No test source is called %s at %g and more.", d->class_name[k], s->confidence);
            continue;
        }
        verdict_add(v, colour, k ? "purity_1" : "purity_0", right,
                    "Of the test sources called %s at %g and more, %.1f %% are: expect %.1f %% false among such.",
                    d->class_name[k], s->confidence, 100 * right, 100 * (1 - right));
    }
}

/* The sources that were judged. */
static void judge_candidates(verdict *v, const settings *s, const run_result *runs, const verdicts *j,
                             const bml_classify_catalog *c) {
    int far = 0;
    int undecided = 0;
    if (c->n_unknown) {
        verdict_add(v, VERDICT_YELLOW, "unknown_classes", c->n_unknown, "%d sources of unknown class: %.300s",
                    c->n_unknown, c->warning);
    }
    if (s->latitude) {
        verdict_add(v, VERDICT_YELLOW, "latitude", 1,
                    "Latitude was learned: verdicts follow the survey, not the source alone.");
    }
    if (!j->n) {
        verdict_add(v, VERDICT_YELLOW, "candidates", 0, "There is no source to judge.");
        return;
    }
    for (int i = 0; i < j->n; i++) {
        far += j->distance[i] >= OUTSIDE;
        undecided += j->verdict[i] < 0;
    }
    double share = (double)far / j->n;
    verdict_add(v, verdict_colour(share, 0.05, 0.5), "outside", share,
                "%d of %d judged sources lie outside the training domain (distance %g and more).", far, j->n, OUTSIDE);
    share = (double)undecided / j->n;
    double tested = 0;
    for (long r = 0; r < s->runs; r++) {
        tested += runs[r].undecided / (double)s->runs;
    }
    char alike[80] = "";
    if (isfinite(tested)) {
        snprintf(alike, sizeof alike, "; of test sources at their fluxes, %.1f %%", 100 * tested);
    }
    verdict_add(v, share <= 0.5 ? VERDICT_GREEN : VERDICT_YELLOW, "undecided", share,
                "%d of %d stay unclassified below %g%s.", undecided, j->n, s->confidence, alike);
}

/* ==== pictures ==== */

static const char *const colour[3] = {"#0072B2", "#D55E00", "#999999"}; /* class 0, class 1, unclassified */

/* ROC and precision-recall curves of all runs from curves.csv, and the calibration curve. */
static int draw_curves(const settings *s, const bml_classify_data *d, char *err) {
    out_file o;
    if (plot_begin(&o, s->out, "curves", 1500, 500, 13, err)) {
        return -1;
    }
    fprintf(o.f, "set datafile separator ','\nset multiplot layout 1,3\nunset key\nset grid lc rgb '#dddddd'\nset "
                 "xrange [0:1]\n");
    fprintf(o.f, "set yrange [0:1.01]\nset xlabel 'false positive rate'\nset ylabel 'true positive rate'\nset title ");
    plot_text(o.f, "ROC, one line per run");
    fprintf(o.f,
            "\nplot for [r=1:%ld] 'curves.csv' every ::1 using ($1==r?$3:1/0):4 with lines lw 1 lc rgb '%s', x lc rgb "
            "'#999999' dt 2\n",
            s->runs, colour[0]);
    fprintf(o.f, "set xlabel 'recall of %s'\nset ylabel 'precision'\nset title 'precision-recall'\n", d->class_name[1]);
    fprintf(o.f, "plot for [r=1:%ld] 'curves.csv' every ::1 using ($1==r?$4:1/0):5 with lines lw 1 lc rgb '%s'\n",
            s->runs, colour[1]);
    fprintf(o.f, "set xlabel 'mean probability of %s'\nset ylabel 'true fraction'\nset title 'calibration'\n",
            d->class_name[1]);
    fprintf(o.f,
            "plot 'calibration.csv' every ::1 using 1:2:(sqrt(($2*(1-$2)+0.01)/$3)) with yerrorbars pt 7 lc rgb '%s', "
            "'' every ::1 using 1:2 with lines lc rgb '%s', x lc rgb '#999999' dt 2\nunset multiplot\n",
            colour[0], colour[0]);
    return plot_end(&o, s->out, "curves", err);
}

/* Shares of labelled sources and of verdicts in bins of 10 degrees. */
static int draw_latitude(const settings *s, const verdicts *v, const bml_classify_catalog *c,
                         const bml_classify_data *d, char *err) {
    double n[4][18] = {{0}};
    double total[4] = {0, 0, 0, 0};
    int b;
    for (int i = 0; i < d->n; i++) {
        if (d->y[i] >= 0) {
            b = (int)((c->lat[d->source[i]] + 90) / 10.0001);
            n[d->y[i]][b]++;
            total[d->y[i]]++;
        }
    }
    for (int i = 0; i < v->n; i++) {
        if (v->verdict[i] >= 0) {
            b = (int)((c->lat[d->source[v->row[i]]] + 90) / 10.0001);
            n[2 + v->verdict[i]][b]++;
            total[2 + v->verdict[i]]++;
        }
    }
    out_file o;
    if (plot_begin(&o, s->out, "latitude", 900, 600, 14, err)) {
        return -1;
    }
    fprintf(o.f, "$d << EOD\n");
    for (b = 0; b < 18; b++) {
        fprintf(o.f, "%d", -85 + 10 * b);
        for (int k = 0; k < 4; k++) {
            fprintf(o.f, " %.5g", total[k] > 0 ? n[k][b] / total[k] : 0);
        }
        fprintf(o.f, "\n");
    }
    fprintf(o.f, "EOD\nset xlabel 'Galactic latitude [deg]'\nset ylabel 'share of sources per 10 deg'\nset xrange "
                 "[-90:90]\nset yrange [0:*]\n");
    fprintf(o.f, "set grid lc rgb '#dddddd'\nset key top right\nplot ");
    for (int k = 0; k < 4; k++) {
        fprintf(o.f, "$d using 1:%d with histeps lw 2 dt %d lc rgb '%s' title '%s, %s (%.0f)'%s", k + 2, k < 2 ? 1 : 2,
                colour[k % 2], d->class_name[k % 2], k < 2 ? "labelled" : "candidates", total[k], k < 3 ? ", " : "\n");
    }
    return plot_end(&o, s->out, "latitude", err);
}

/* One data block of points (x, y) per verdict, from position or from curvature and variability. */
static void point_blocks(FILE *f, const verdicts *v, const bml_classify_catalog *c, const bml_classify_data *d,
                         int sky) {
    for (int k = 0; k < 3; k++) {
        fprintf(f, "$v%d << EOD\n1e9 1e9\n", k);
        for (int i = 0; i < v->n; i++) {
            int at = d->source[v->row[i]];
            double l = (c->lon[at] > 180 ? c->lon[at] - 360 : c->lon[at]) * 0.017453292519943295;
            double b = c->lat[at] * 0.017453292519943295;
            double scale = sqrt(2 / (1 + cos(b) * cos(l / 2)));
            if ((v->verdict[i] < 0 ? 2 : v->verdict[i]) != k) {
                continue;
            }
            if (sky) {
                fprintf(f, "%.4f %.4f\n", -2 * scale * cos(b) * sin(l / 2), scale * sin(b)); /* Hammer's projection */
            } else {
                fprintf(f, "%.4f %.4f\n", log10(fmax(c->variability[at], 1)), log10(fmax(c->curvature[at], 0.03)));
            }
        }
        fprintf(f, "EOD\n");
    }
}

static void plot_blocks(FILE *f, const bml_classify_data *d, const char *first) {
    fprintf(f, "plot %s", first);
    for (int k = 2; k >= 0; k--) {
        fprintf(f, "$v%d using 1:2 with points pt 7 ps %s lc rgb '%s' title '%s'%s", k, k == 1 ? "0.7" : "0.5",
                colour[k], k == 2 ? "unclassified" : d->class_name[k], k ? ", " : "\n");
    }
}

static int draw_sky(const settings *s, const verdicts *v, const bml_classify_catalog *c, const bml_classify_data *d,
                    char *err) {
    out_file o;
    if (plot_begin(&o, s->out, "sky", 1100, 600, 14, err)) {
        return -1;
    }
    fprintf(o.f, "$grid << EOD\n");
    for (int i = -90; i <= 90; i += 30) {
        for (int k = -180; k <= 180; k += 5) {
            double b = i * 0.017453292519943295;
            double l = k * 0.017453292519943295;
            double q = sqrt(2 / (1 + cos(b) * cos(l / 2)));
            fprintf(o.f, "%.4f %.4f\n", -2 * q * cos(b) * sin(l / 2), q * sin(b));
        }
        fprintf(o.f, "\n");
    }
    for (int k = -180; k <= 180; k += 60) {
        for (int i = -90; i <= 90; i += 5) {
            double b = i * 0.017453292519943295;
            double l = k * 0.017453292519943295;
            double q = sqrt(2 / (1 + cos(b) * cos(l / 2)));
            fprintf(o.f, "%.4f %.4f\n", -2 * q * cos(b) * sin(l / 2), q * sin(b));
        }
        fprintf(o.f, "\n");
    }
    fprintf(o.f, "EOD\n");
    point_blocks(o.f, v, c, d, 1);
    fprintf(
        o.f,
        "unset border\nunset tics\nset size ratio -1\nset xrange [-2.9:2.9]\nset yrange [-1.5:1.6]\nset key top right\n"
        "set title 'verdicts in Galactic coordinates, centre (0, 0), longitude to the left'\n");
    plot_blocks(o.f, d, "$grid using 1:2 with lines lc rgb '#cccccc' notitle, ");
    return plot_end(&o, s->out, "sky", err);
}

/* Whether any source has both of the quantities of the picture below. */
static int has_curvature(const bml_classify_catalog *c) {
    for (int i = 0; i < c->n; i++) {
        if (isfinite(c->variability[i]) && isfinite(c->curvature[i])) {
            return 1;
        }
    }
    return 0;
}

/* Verdicts over contours (50 % and 90 %) of the labelled classes. */
static int draw_curvature(const settings *s, const verdicts *v, const bml_classify_catalog *c,
                          const bml_classify_data *d, char *err) {
    plot_axis axes[2] = {{0.3, 4.5, 0, 0, 0}, {-1.6, 1.8, 0, 0, 0}};
    double *sample = malloc((size_t)d->n * 2 * sizeof *sample);
    double *g = malloc(sizeof(double) * PLOT_GRID * PLOT_GRID);
    if (!sample || !g) {
        fail("out of memory");
    }
    out_file o;
    if (plot_begin(&o, s->out, "curvature", 900, 700, 14, err)) {
        return -1;
    }
    fprintf(o.f, "set contour base\nunset surface\nset cntrparam levels discrete 0\n");
    for (int k = 0; k < 2; k++) {
        plot_chain chain = {NULL, sample, 0};
        for (int i = 0; i < d->n; i++) {
            int at = d->source[i];
            if (d->y[i] != k) {
                continue;
            }
            sample[2 * chain.n] = log10(fmax(c->variability[at], 1));
            sample[2 * chain.n + 1] = log10(fmax(c->curvature[at], 0.03));
            if (isfinite(sample[2 * chain.n]) && isfinite(sample[2 * chain.n + 1])) {
                chain.n++;
            }
        }
        plot_density(g, &chain, 0, 1, 2, axes);
        fprintf(o.f, "$g%d << EOD\n", k);
        for (int i = 0; i < PLOT_GRID; i++) {
            for (int a = 0; a < PLOT_GRID; a++) {
                fprintf(o.f, "%.4g%c", g[i * PLOT_GRID + a], a + 1 < PLOT_GRID ? ' ' : '\n');
            }
        }
        fprintf(o.f, "EOD\nset cntrparam levels discrete %.6g, %.6g\nset table $c%d\n", plot_level(g, 0.5),
                plot_level(g, 0.9), k);
        fprintf(o.f, "splot $g%d matrix using (%g+%g*($1+0.5)):(%g+%g*($2+0.5)):3\nunset table\n", k, axes[0].lo,
                (axes[0].hi - axes[0].lo) / PLOT_GRID, axes[1].lo, (axes[1].hi - axes[1].lo) / PLOT_GRID);
    }
    point_blocks(o.f, v, c, d, 0);
    fprintf(o.f, "unset contour\nset surface\nset xrange [0.3:4.5]\nset yrange [-1.6:1.8]\nset key bottom right\n"
                 "set xlabel 'log_{10} variability index'\nset ylabel 'log_{10} significance of curvature [sigma]'\n"
                 "set title 'candidates over the 50 %% and 90 %% contours of the labelled sources'\n");
    plot_blocks(o.f, d,
                "$c0 using 1:2 with lines lw 2 lc rgb '#0072B2' notitle, $c1 using 1:2 with lines lw 2 lc rgb "
                "'#D55E00' notitle, ");
    free(sample);
    free(g);
    return plot_end(&o, s->out, "curvature", err);
}

/* Scatter of the model against its mean score, per candidate; always to 0.5, the most that an sd in [0, 1] can be, so
   that pictures of several runs compare. */
static int draw_uncertainty(const settings *s, const verdicts *v, const bml_classify_data *d, char *err) {
    char net[64];
    char smote[64];
    if (!has_scatter(v)) {
        return 0;
    }
    out_file o;
    if (plot_begin(&o, s->out, "uncertainty", 800, 600, 14, err)) {
        return -1;
    }
    for (int far = 0; far < 2; far++) {
        fprintf(o.f, "$d%d << EOD\n-1 -1\n", far);
        for (int i = 0; i < v->n; i++) {
            if (isfinite(v->sd[2 * i + 1]) && far == (v->distance[i] >= OUTSIDE)) {
                fprintf(o.f, "%.5f %.5f\n", v->p[2 * i + 1], v->sd[2 * i + 1]);
            }
        }
        fprintf(o.f, "EOD\n");
    }
    choice_word(net, sizeof net, nets, s->net);
    choice_word(smote, sizeof smote, smotes, s->smote);
    fprintf(o.f,
            "set key below\nset bmargin 7\nset grid\nset xrange [0:1]\nset yrange [0:0.5]\nset title '%s, SMOTE: %s'\n"
            "set xlabel 'mean probability of %s'\nset ylabel 'its standard deviation'\n"
            "plot $d0 using 1:2 with points pt 7 ps 0.5 lc rgb '%s' title 'candidates', $d1 using 1:2 with points pt 7 "
            "ps 0.8 lc rgb '%s' title 'those outside the training domain'\n",
            net, smote, d->class_name[1], colour[0], colour[1]);
    return plot_end(&o, s->out, "uncertainty", err);
}

/* Ends the program where a picture was not written; else whether gnuplot is missing. */
static int drawn(int status, const char *err) {
    if (status < 0) {
        fail("%s", err);
    }
    return status;
}

/* Draws all; says once when gnuplot is missing. */
static void draw(const settings *s, const verdicts *v, const bml_classify_catalog *c, const bml_classify_data *d) {
    char err[ERROR_SIZE];
    int missing = drawn(draw_curves(s, d, err), err);
    missing |= drawn(draw_latitude(s, v, c, d, err), err);
    if (isfinite(c->lon[0])) {
        missing |= drawn(draw_sky(s, v, c, d, err), err);
    }
    if (has_curvature(c)) {
        missing |= drawn(draw_curvature(s, v, c, d, err), err);
    }
    missing |= drawn(draw_uncertainty(s, v, d, err), err);
    if (missing) {
        printf("no gnuplot here: the pictures are left as scripts, %s/*.gp\n", s->out);
    }
}

/* ==== the program ==== */

static int any_pulsar(const bml_classify_catalog *c) {
    for (int i = 0; i < c->n; i++) {
        if (c->pulsar[i]) {
            return 1;
        }
    }
    return 0;
}

/* Counts the kinds of pulsars after the list, where there is one. */
static void read_pulsars(bml_classify_catalog *c, const settings *s) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    bml_classify_table *t = NULL;
    int young = 0;
    int fast = 0;
    if (s->pulsars) {
        int status = bml_classify_table_read(&t, s->pulsars, why);
        if (!status) {
            status = bml_classify_match_pulsars(&young, &fast, c, t, why);
        }
        bml_classify_table_free(t);
        if (status) {
            fail("%s", why);
        }
        printf("%s: %d young and %d millisecond pulsars\n", s->pulsars, young, fast);
    }
    if (s->task == BML_CLASSIFY_YNG_MSP && !any_pulsar(c)) {
        fail("%s: --task yng-msp needs --pulsars FILE, or a catalogue whose CLASS1 says MSP", s->catalog);
    }
}

static void read_catalog(bml_classify_catalog **c, const settings *s) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    bml_classify_table *t = NULL;
    int status = bml_classify_table_read(&t, s->catalog, why);
    if (!status) {
        status = bml_classify_catalog_create(c, t, why);
    }
    bml_classify_table_free(t);
    if (status) {
        fail("%s", why);
    }
    printf("%s: %d sources, %d bands, %d years\n", s->catalog, (*c)->n, (*c)->n_bands, (*c)->n_years);
    if ((*c)->n_unknown) {
        fprintf(stderr, "note: %s (%d such sources)\n", (*c)->warning, (*c)->n_unknown);
    }
    for (const bml_classify_report *r = (*c)->report; r->what; r++) {
        if (r->n_nan + r->n_infinite + r->n_negative + r->n_limits) {
            printf("  %s: %ld upper limits, %ld NaN, %ld infinite, %ld zero, %ld negative (%s)\n", r->what, r->n_limits,
                   r->n_nan, r->n_infinite, r->n_zero, r->n_negative, r->rule);
        }
    }
    read_pulsars(*c, s);
}

/* The features of the task, and those of another table where that is wanted. */
static bml_classify_data *make_data(const settings *s, const bml_classify_catalog *c) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    bml_classify_features features = {s->task, ALL_KINDS, 0};
    bml_classify_data *d = NULL;
    bml_classify_data *wide = NULL;
    bml_classify_table *t = NULL;
    if (bml_classify_data_from_catalog(&d, c, &features, why)) {
        fail("%s: %s", s->catalog, why);
    }
    if (s->join) {
        int *match = malloc((size_t)c->n * sizeof *match);
        if (!match) {
            fail("out of memory");
        }
        if (bml_classify_table_read(&t, s->join, why)) {
            fail("%s", why);
        }
        int found = bml_classify_join(match, c, t, s->radius, why);
        if (found < 0 || bml_classify_data_join(&wide, d, t, match, why)) {
            fail("%s", why);
        }
        printf("%s: %d of %d sources found, %d columns\n", s->join, found, c->n, wide->d - d->d);
        bml_classify_data_free(d);
        bml_classify_table_free(t);
        free(match);
        d = wide;
    }
    if (d->d > MAX_COLUMNS) {
        fail("%s: %d features, at most %d", s->catalog, d->d, MAX_COLUMNS);
    }
    if (inputs_of(s) == BML_CLASSIFY_TIME && !c->n_years) {
        fail("%s: --inputs time: there are no light curves", s->catalog);
    }
    if (inputs_of(s) == BML_CLASSIFY_ENERGY && !c->n_bands) {
        fail("%s: --inputs energy: there are no bands", s->catalog);
    }
    return d;
}

/* Labels in random order, for the check that the machinery finds nothing where there is nothing. */
static void shuffle_labels(bml_classify_data *d, uint64_t seed) {
    int *row = malloc((size_t)d->n * sizeof *row);
    int n = 0;
    if (!row) {
        fail("out of memory");
    }
    bml_classify_rng rng;
    bml_classify_rng_init(&rng, seed, 1);
    for (int i = 0; i < d->n; i++) {
        if (d->y[i] >= 0) {
            row[n++] = i;
        }
    }
    for (int i = n - 1; i > 0; i--) {
        int k = (int)(bml_classify_rng_uniform(&rng) * (i + 1));
        int t = d->y[row[i]];
        d->y[row[i]] = d->y[row[k]];
        d->y[row[k]] = t;
    }
    free(row);
}

/* clang-format off */
static settings opt = {.out = "fermi", .net = AUTO, .own_fits = 1, .runs = 10, .fraction = 0.7, .confidence = 0.9,
                       .radius = 0.1, .seed = 1};
#define WORD(n, m, v, h) {.name = n, .text = &opt.m, .value = v, .help = h}
#define CHOICE(n, m, v, h) {.name = n, .choice = &opt.m, .value = v, .help = h}
#define WHOLE(n, m, lo, hi, h) {.name = n, .integer = &opt.m, .min = lo, .max = hi, .value = "N", .help = h}
#define REAL(n, m, lo, hi, v, h) {.name = n, .real = &opt.m, .min = lo, .max = hi, .value = v, .help = h}
#define SWITCH(n, m, h) {.name = n, .flag = &opt.m, .help = h}
static const option_row options[] = {
    CHOICE("task", task, tasks, "classes to tell apart"),
    WORD("pulsars", pulsars, "FILE", "LAT pulsar list (CSV), for yng-msp where CLASS1 does not say MSP"),
    CHOICE("net", net, nets, "classifier; auto: the simplest that is as good as the best"),
    CHOICE("features", features, "default|raw|log|derived|full",
           "default: raw for networks, derived for logistic and kernel, full for trees"),
    CHOICE("inputs", inputs, "default|both|energy|time", "band fluxes, yearly fluxes"),
    SWITCH("own-fits", own_fits, "the catalogue's own columns too: indices, curvatures, significances, fluxes"),
    WORD("join", join, "FILE", "another table (WISE, Gaia, radio): its columns of numbers, by Source_Name or place"),
    REAL("join-radius", radius, 1e-6, 10, "DEG", "of the join by place"),
    SWITCH("latitude", latitude, "Galactic latitude |b| too (always for yng-msp)"),
    CHOICE("smote", smote, smotes, "new training rows by SMOTE; full: each class to twice the largest"),
    CHOICE("calibrate", calibrate, "default|none|temperature|isotonic",
           "default: temperature, for predictions and for the ensemble"),
    CHOICE("schedule", schedule, "cosine|constant", "learning rate of the dnn, from 0.01"),
    WHOLE("epochs", epochs, 0, 100000, "of networks; 0: 50, 150 for yng-msp, BNN 250"),
    WHOLE("copies", copies, 0, 1000, "nets averaged; 0: 1, for predictions 10"),
    WHOLE("draws", draws, 0, 10000, "draws of the BNN's weights; 0: 500"),
    WHOLE("runs", runs, 1, MAX_RUNS, "splits to evaluate on"),
    REAL("fraction", fraction, 0.1, 0.95, "F", "of each class for training"),
    CHOICE("test", test, "random|release", "release: train on DataRelease 1, test on the rest"),
    SWITCH("shuffle-labels", shuffle, "check: AUC must be 0.5"),
    REAL("confidence", confidence, 0.5, 1, "P", "below it a source stays unclassified"),
    WORD("compare", compare, "FILE", "an earlier predictions.csv: agreement (kappa), correlation of the sds"),
    SWITCH("importance", importance, "importance.csv: what the inputs are worth"),
    {.name = "seed", .natural = &opt.seed, .value = "S", .help = "of the first split; the others follow"},
    WHOLE("threads", threads, 0, 1024, "0: all cores; results do not depend on it"),
    WORD("out", out, "DIR", "folder for the results"),
    SWITCH("quiet", quiet, "no progress bar"),
    {0}};
/* clang-format on */

static void read_options(settings *s, int argc, char **argv) {
    int first =
        options_parse(argc, argv, options, "classify_fermi [options] CATALOG",
                      "Classifies the sources of a Fermi-LAT catalogue (4FGL, FITS or CSV) with uncertainties.");
    if (argc - first != 1) {
        fail("classify_fermi: needs one catalogue (see --help)");
    }
    s->catalog = argv[first];
    option_needs(argc, argv, "--draws", s->net == BNN, "--net bnn");
    option_needs(argc, argv, "--schedule", s->net == DNN || s->net >= ENSEMBLE, "--net dnn, ensemble or auto");
    option_needs(argc, argv, "--pulsars", s->task == BML_CLASSIFY_YNG_MSP, "--task yng-msp");
    option_needs(argc, argv, "--join-radius", s->join != NULL, "--join");
    if (s->task == BML_CLASSIFY_YNG_MSP) {
        s->latitude = 1;
    }
    s->threads = threads_or_all(s->threads);
}

/* Everything that is found out, and what is thought of it. */
typedef struct findings {
    run_result *runs;
    verdicts judged;
    verdict verdict;
} findings;

static void write_all(const settings *s, findings *f, const bml_classify_catalog *c, const bml_classify_data *d,
                      double start) {
    char err[ERROR_SIZE];
    char net[64];
    double mean[3];
    double sd;
    static const int which[3] = {0, 1, 7};
    for (int i = 0; i < 3; i++) {
        over_runs(&mean[i], &sd, f->runs, s->runs, which[i], 0);
    }
    choice_word(net, sizeof net, nets, f->judged.net);
    const run_entry results[] = {
        {"accuracy", mean[0], NULL},       {"auc", mean[1], NULL},         {"calibration_error", mean[2], NULL},
        {"candidates", f->judged.n, NULL}, {"net_for_candidates", 0, net}, {NULL, 0, NULL},
    };
    const run_info info = {
        .program = "classify_fermi",
        .options = options,
        .input = s->catalog,
        .seed = s->seed,
        .seconds = seconds_now() - start,
        .results = results,
        .more = verdict_json,
        .more_of = &f->verdict,
    };
    if (write_report(s, c, err) || write_evaluation(s, f->runs, err) || write_curves(s, f->runs, err)) {
        fail("%s", err);
    }
    if (write_predictions(s, &f->judged, c, d, err)) {
        fail("%s", err);
    }
    if (s->importance && write_importance(s, c, d, err)) {
        fail("%s", err);
    }
    if (run_write(s->out, &info, err) || verdict_write(&f->verdict, s->out, err)) {
        fail("%s", err);
    }
}

/* How often auto took which. */
static void print_choices(const settings *s, const findings *f) {
    char word[64];
    if (s->net != AUTO) {
        return;
    }
    printf("auto took");
    for (int net = 0; net < N_NETS; net++) {
        int n = 0;
        for (long r = 0; r < s->runs; r++) {
            n += f->runs[r].net == net;
        }
        choice_word(word, sizeof word, nets, net);
        if (n) {
            printf(" %s in %d runs,", word, n);
        }
    }
    choice_word(word, sizeof word, nets, f->judged.net);
    printf(" %s for the candidates\n", word);
}

static void find_out(findings *f, const settings *s, const bml_classify_catalog *c, const bml_classify_data *d,
                     double start) {
    f->runs = calloc((size_t)s->runs, sizeof *f->runs);
    if (!f->runs) {
        fail("out of memory");
    }
    run_all(f->runs, s, c, d);
    print_evaluation(s, f->runs, d);
    printf("evaluated in %.1f s\n", seconds_now() - start);
    judge(&f->judged, s, c, d);
    print_choices(s, f);
    judge_evaluation(&f->verdict, s, f->runs, d);
    judge_candidates(&f->verdict, s, f->runs, &f->judged, c);
}

int main(int argc, char **argv) {
    settings *s = &opt;
    char err[ERROR_SIZE];
    double start = seconds_now();
    bml_classify_catalog *c = NULL;
    static findings f;
    read_options(s, argc, argv);
    bml_classify_table *earlier = read_earlier(s);
    if (out_folder(s->out, err)) {
        fail("%s", err);
    }
    read_catalog(&c, s);
    bml_classify_data *d = make_data(s, c);
    if (s->shuffle) {
        shuffle_labels(d, s->seed);
    }
    find_out(&f, s, c, d, start);
    write_all(s, &f, c, d, start);
    draw(s, &f.judged, c, d);
    print_verdicts(s, &f.judged, c, d);
    if (earlier) {
        compare(s, earlier, &f.judged, c, d);
    }
    bml_classify_table_free(earlier);
    verdict_print(stdout, &f.verdict);
    printf("results in %s\n", s->out);
    return verdict_status(&f.verdict);
}
