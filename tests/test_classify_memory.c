/* test_classify_memory: bml_classify.h without memory, in other locales, and from seven threads. The k-th request for
   memory fails, for all k: NO_MEMORY each time, nothing left over, and all is well afterwards. */
#undef BML_CLASSIFY_IMPLEMENTED /* they are compiled here once more, with an allocator of this test's own */
#undef BML_NN_IMPLEMENTED
#include <stdlib.h>
#include <string.h>

static long requests;    /* so far */
static long failing = 0; /* number of the request that fails; 0: none */
static long in_use;      /* blocks not freed yet */
static int counting = 1; /* not while there are threads */

static void *test_malloc(size_t n) {
    if (!counting) return malloc(n);
    if (++requests == failing) return NULL;
    void *p = malloc(n);
    in_use += p != NULL;
    return p;
}

static void test_free(void *p) {
    if (counting) in_use -= p != NULL;
    free(p);
}

#define BML_CLASSIFY_MALLOC(n) test_malloc(n)
#define BML_CLASSIFY_FREE(p) test_free(p)
#define BML_NN_MALLOC(n) test_malloc(n)
#define BML_NN_FREE(p) test_free(p)
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#define BML_CLASSIFY_IMPLEMENTATION
#include "bml_classify.h"
#include "check.h"
#include <locale.h>
#include <pthread.h>

enum { ROWS = 40 };

/* A table of ROWS rows: a label, three features, names and places. */
static const char *table_text(void) {
    static char text[8192];
    size_t n =
        (size_t)snprintf(text, sizeof text, "Source_Name,CLASS1,GLAT,GLON,Flux_Band_1,Flux_Band_2,Flux_History_1\n");
    for (int i = 0; i < ROWS; i++) {
        const char *label = i % 3 ? "bll" : "fsrq";
        double a = 1.5 + (i * 7 % 13) + (i % 3);
        double b = 2.25 + (i * 5 % 11);
        n += (size_t)snprintf(text + n, sizeof text - n, "S%d,%s,%d,%d,%d.25,%d.5,%d\n", i, label, i, 2 * i, (int)a,
                              (int)b, i * 3 % 7);
    }
    return text;
}

/* ---- out of memory ---- */

/* The models with few trees, epochs and draws; a stack of two. */
static bml_classify_config config_of(int model, bml_classify_config *member) {
    bml_classify_config c;
    memset(&c, 0, sizeof c);
    memset(member, 0, 2 * sizeof *member);
    member[1].model = BML_CLASSIFY_BOOST;
    member[1].trees = 2;
    c.model = model;
    c.trees = 3;
    c.epochs = 1;
    c.draws = 2;
    c.centres = 5;
    c.folds = 2;
    c.smote = model == BML_CLASSIFY_STACK ? 0 : BML_CLASSIFY_SMOTE_MINORITY;
    c.calibrate = model <= BML_CLASSIFY_BOOST ? model : 0;
    c.member = member;
    c.n_members = 2;
    return c;
}

/* Reads the table, makes features and joins; the data, or NULL with *status. */
static bml_classify_data *read_data(int *status, char *why) {
    const char *text = table_text();
    bml_classify_table *t = NULL;
    bml_classify_catalog *c = NULL;
    bml_classify_data *d = NULL;
    bml_classify_data *wide = NULL;
    bml_classify_features f = {BML_CLASSIFY_BLL_FSRQ, 39, 0};
    int match[ROWS];
    int young;
    int fast;
    *status = bml_classify_table_parse(&t, text, strlen(text), "t", why);
    if (!*status) *status = bml_classify_catalog_create(&c, t, why);
    if (!*status) {
        *status = bml_classify_data_from_catalog(&d, c, &f, why);
    }
    if (!*status) {
        int found = bml_classify_join(match, c, t, 1, why);
        if (found < 0) *status = found;
    }
    if (!*status) {
        *status = bml_classify_data_join(&wide, d, t, match, why);
    }
    bml_classify_data_free(d);
    d = NULL;
    if (!*status) {
        *status = bml_classify_data_from_table(&d, t, "CLASS1", why);
    }
    /* names are no numbers: that refusal is the right end of it */
    if (*status == BML_CLASSIFY_BAD_VALUE && !d) *status = BML_CLASSIFY_OK;
    bml_classify_table_free(t);
    t = NULL;
    if (!*status) {
        *status = bml_classify_table_parse(&t, "Source_Name,is_msp\nS1,1\n", 24, "p", why);
    }
    if (!*status) {
        *status = bml_classify_match_pulsars(&young, &fast, c, t, why);
    }
    bml_classify_table_free(t);
    bml_classify_catalog_free(c);
    return wide;
}

/* One fit, its predictions, its cross-validation, importances. */
static int use_model(int model, bml_classify_data *d, char *why) {
    bml_classify_config member[2];
    bml_classify_config c = config_of(model, member);
    bml_classify_model *m = NULL;
    bml_classify_scores s;
    double p[2 * ROWS];
    double sd[2 * ROWS];
    double importance[64];
    int status = bml_classify_fit(&m, &c, d, NULL, 0, why);
    if (status && m) return 1;
    if (!status) {
        status = bml_classify_predict(p, sd, m, d, NULL, ROWS);
    }
    if (!status && model <= BML_CLASSIFY_BOOST)
        status = bml_classify_permutation_importance(importance, m, d, NULL, ROWS, 1, 1);
    if (!status && model == 0) {
        status = bml_classify_gradient_importance(importance, m, d, NULL, ROWS);
    }
    bml_classify_model_free(m);
    if (status) return status;
    status = bml_classify_cross_validate(&s, NULL, &c, d, 2, why);
    if (!status && isnan(s.auc)) return 1; /* OK with NaN scores */
    return status;
}

/* Splits, folds, single metrics. */
static int use_metrics(bml_classify_data *d, char *why) {
    int rows[ROWS];
    int fold[ROWS];
    int n_train;
    int n_test;
    int n_knots;
    double score[2 * ROWS];
    double x[4 * (ROWS + 1)];
    double covariance[4];
    double covered;
    bml_classify_cut cut;
    for (int i = 0; i < 2 * ROWS; i++) {
        score[i] = (i * 11 % 17) / 17.0;
    }
    int status = bml_classify_split(rows, &n_train, &n_test, d, 0.5, 1, why);
    if (!status) {
        status = bml_classify_folds(fold, d, NULL, 0, 3, 1, why);
    }
    if (!status) {
        status = bml_classify_delong(x, covariance, score, 2, d->y, ROWS);
    }
    if (!status) {
        status = bml_classify_isotonic(x, x + ROWS, &n_knots, score, d->y, ROWS);
    }
    if (!status) {
        status = bml_classify_cost_curve(x, 5, score, d->y, NULL, ROWS);
    }
    if (!status) {
        status = bml_classify_threshold(&cut, 0, 0.5, score, d->y, NULL, ROWS);
    }
    if (!status) {
        status = bml_classify_domain_distance(x, d, NULL, ROWS, rows, n_train, NULL, 0);
    }
    if (!status) {
        status = bml_classify_match_weights(x, &covered, score, ROWS, score, ROWS, 4);
    }
    if (!status) {
        int points =
            bml_classify_curve(x, x + ROWS + 1, x + 2 * (ROWS + 1), x + 3 * (ROWS + 1), score, d->y, NULL, ROWS);
        if (points < 0) status = points;
    }
    return status;
}

/* The work of number `what`: 0 reading, 1 metrics, 2 ... the models. */
static int work(int what, char *why) {
    int status;
    if (what == 0) {
        bml_classify_data_free(read_data(&status, why));
        return status;
    }
    long kept = failing;
    failing = 0; /* the data are there; what is tried comes after */
    bml_classify_data *d = read_data(&status, why);
    failing = kept ? requests + kept : 0;
    if (status) return 1;
    status = what == 1 ? use_metrics(d, why) : use_model(what - 2, d, why);
    failing = 0;
    bml_classify_data_free(d);
    return status;
}

static void test_no_memory(void) {
    for (int what = 0; what < 2 + BML_CLASSIFY_N_MODELS; what++) {
        static const char *const names[2] = {"tables and features", "metrics"};
        const char *name = what < 2 ? names[what] : bml_classify_model_name(what - 2);
        char why[BML_CLASSIFY_MESSAGE] = "";
        int status = BML_CLASSIFY_NO_MEMORY;
        int wrong = 0;
        int mute = 0;
        long k = 0;
        while (status == BML_CLASSIFY_NO_MEMORY && k < 100000) {
            *why = 0;
            requests = 0;
            failing = ++k;
            status = work(what, why);
            failing = 0;
            mute += status == BML_CLASSIFY_NO_MEMORY && *why && !strstr(why, "memory");
            wrong += in_use != 0;
        }
        CHECK(status == BML_CLASSIFY_OK && k > 1, "%s: NO_MEMORY for each of %ld requests, then none (status %d, %s)",
              name, k - 1, status, why);
        CHECK(!wrong && !mute, "%s: nothing is left over (%d), and the reason is given (%d)", name, wrong, mute);
    }
}

/* Sizes whose product overflows are no memory either. */
static void test_too_much(void) {
    bml_classify__room room = {NULL, 0};
    bml_classify__take(&room, PTRDIFF_MAX / 4, PTRDIFF_MAX / 4, 8);
    CHECK(!bml_classify__again(&room) && !room.base, "a product that overflows");
    room.used = 0;
    for (int i = 0; i < 8; i++) {
        bml_classify__take_doubles(&room, PTRDIFF_MAX / 16, 1);
    }
    CHECK(!bml_classify__again(&room) && !room.base, "a sum that overflows");
}

/* ---- locales ---- */

static void test_locale(void) {
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE",     "fr_FR.UTF-8",
                                        "fr_FR.utf8",  "fr_FR",      "pl_PL.utf8"};
    static const char csv[] = "a,b,class\n1.5,-2e-3,x\n0.5,1,y\n2.5,3,x\n";
    char why[BML_CLASSIFY_MESSAGE] = "";
    char half[16] = "0.5";
    bml_classify_table *t = NULL;
    bml_classify_config c = {0};
    bml_classify_data *d = NULL;
    bml_classify_model *m = NULL;
    double v[3] = {0, 0, 0};
    for (int i = 0; i < 7 && half[1] == '.'; i++) {
        setlocale(LC_ALL, names[i]);
        snprintf(half, sizeof half, "%.1f", 0.5);
    }
    if (half[1] == '.') {
        SKIP("no locale with a decimal comma here (Debian: locales-all)");
        return;
    }
    int status = bml_classify_table_parse(&t, csv, strlen(csv), "my.csv", why);
    if (!status) status = bml_classify_table_numbers(v, t, 1, why);
    CHECK(status == 0 && fabs(v[0] + 2e-3) < 1e-15, "numbers with a point where the locale has a comma (%s)", why);
    bml_classify_table_free(t);
    status = bml_classify_table_parse(&t, "a;class\n1,5;x\n2,5;y\n", 20, "my.csv", why);
    if (!status) status = bml_classify_data_from_table(&d, t, "class", why);
    CHECK(status == BML_CLASSIFY_BAD_VALUE && !d && strstr(why, "'1,5'"), "and none with a comma: %s", why);
    bml_classify_table_free(t);
    bml_classify_data *data = read_data(&status, why);
    c.l2 = -1.5;
    status = bml_classify_fit(&m, &c, data, NULL, 0, why);
    CHECK(status == BML_CLASSIFY_BAD_ARGUMENT && strstr(why, "-1.5"), "points in messages too: %s", why);
    bml_classify_data_free(data);
    setlocale(LC_ALL, "C");
}

/* ---- threads ---- */

typedef struct job {
    bml_classify_data *data;
    const bml_classify_model *model;
    double p[2 * ROWS], own[2 * ROWS];
    int status;
} job;

/* Asks a model that all share, and fits one of its own. */
static void *thread_work(void *of) {
    job *j = (job *)of;
    bml_classify_config member[2];
    bml_classify_config c = config_of(BML_CLASSIFY_STACK, member);
    bml_classify_model *m = NULL;
    j->status = bml_classify_predict(j->p, NULL, j->model, j->data, NULL, ROWS);
    if (!j->status) {
        j->status = bml_classify_fit(&m, &c, j->data, NULL, 0, NULL);
    }
    if (!j->status) {
        j->status = bml_classify_predict(j->own, NULL, m, j->data, NULL, ROWS);
    }
    bml_classify_model_free(m);
    return NULL;
}

static void test_threads(void) {
    enum { THREADS = 7 };
    pthread_t thread[THREADS];
    static job jobs[THREADS];
    char why[BML_CLASSIFY_MESSAGE] = "";
    bml_classify_config member[2];
    bml_classify_config c = config_of(BML_CLASSIFY_BNN, member);
    bml_classify_model *m = NULL;
    int status;
    int good = 1;
    bml_classify_data *d = read_data(&status, why);
    if (!status) {
        status = bml_classify_fit(&m, &c, d, NULL, 0, why);
    }
    CHECK(status == 0, "a model for seven threads (%s)", why);
    counting = 0;
    for (int i = 0; i < THREADS; i++) {
        jobs[i].data = d;
        jobs[i].model = m;
        if (pthread_create(&thread[i], NULL, thread_work, &jobs[i])) {
            exit(1);
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        good = good && !jobs[i].status && !memcmp(jobs[i].p, jobs[0].p, sizeof jobs[0].p);
        good = good && !memcmp(jobs[i].own, jobs[0].own, sizeof jobs[0].own);
    }
    counting = 1;
    CHECK(good, "seven threads: the same answers from all");
    bml_classify_model_free(m);
    bml_classify_data_free(d);
}

int main(void) {
    test_no_memory();
    test_too_much();
    test_locale();
    test_threads();
    return check_done();
}
