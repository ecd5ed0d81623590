/* test_threads.c: seven threads at once, each with objects of its own beside shared constant ones, give what one thread
   gives, to the bit. `make check-memory` builds it under the thread sanitizer too, which sees whatever two threads
   touch: a global, a function's static, signgam. */
#include <pthread.h>
#include <string.h>
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#define BML_HADRON_IMPLEMENTATION
#include "bml_hadron.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"
#define BML_CLASSIFY_IMPLEMENTATION
#include "bml_classify.h"
#include "check.h"

enum { THREADS = 7, RESULTS = 32, ROWS = 40 };

typedef struct worker {
    const bml_ssc *tables;  /* shared, constant */
    const bml_hadron *made; /* shared, constant */
    const bml_nn *net;      /* shared, constant */
    double result[RESULTS];
    int n;
    int status;
    char why[512];
} worker;

static void keep(worker *w, double value) {
    if (w->n < RESULTS) w->result[w->n++] = value;
}

static void log_prob(double *lp, const double *theta, int n, int n_dim, void *user) {
    (void)user;
    for (int i = 0; i < n; i++) {
        lp[i] = 0;
        for (int k = 0; k < n_dim; k++)
            lp[i] -= 0.5 * theta[i * n_dim + k] * theta[i * n_dim + k] * (k + 1);
    }
}

static int spectrum(worker *w) {
    bml_ssc_source source = {.R = 1e16, .B = 0.1, .gamma_min = 1e3, .gamma_max = 1e6, .L_e = 1e42, .p = 2.2};
    bml_ssc_observer observer = {.redshift = 0.1, .delta = 20};
    double nu[3] = {1e17, 1e21, 1e25};
    double nuFnu[3] = {0};
    bml_ssc_blob *blob;
    int status = bml_ssc_blob_create(&blob, w->tables, w->why);
    if (status) return status;
    status = bml_ssc_solve(blob, &source);
    if (!status) status = bml_ssc_sed(nuFnu, nu, 3, blob, &observer, BML_SSC_TOTAL);
    for (int i = 0; i < 3; i++)
        keep(w, nuFnu[i]);
    bml_ssc_blob_free(blob);
    return status;
}

/* Neutrinos of a power law of protons on one of photons. */
static int neutrinos(worker *w) {
    double gamma[2] = {1e4, 1e9};
    double N[2] = {1, 1e-10};
    double x[2] = {1e-6, 1e-1};
    double n[2] = {1e15, 1e5};
    bml_hadron_given given = {.gamma = gamma, .N = N, .n_gamma = 2, .x = x, .n = n, .n_x = 2};
    double log_x[2] = {9, 10};
    double y[2] = {0};
    bml_hadron_blob *blob;
    int status = bml_hadron_blob_create(&blob, w->made, w->why);
    if (status) return status;
    status = bml_hadron_rates(blob, &given);
    if (!status) status = bml_hadron_spectrum(y, log_x, 2, blob, BML_HADRON_NEUTRINOS);
    keep(w, y[0]);
    keep(w, y[1]);
    bml_hadron_blob_free(blob);
    return status;
}

static int chain(worker *w) {
    bml_mcmc_config config = {.n_dim = 3, .n_walkers = 20, .log_prob = log_prob, .seed = 4};
    double center[3] = {0, 0, 0};
    double radius[3] = {1, 1, 1};
    bml_mcmc_summary s[3];
    bml_mcmc_ensemble *e;
    int status = bml_mcmc_ensemble_create(&e, &config, w->why);
    if (status) return status;
    status = bml_mcmc_start_ball(e, center, radius);
    if (!status) status = bml_mcmc_run(e, 300);
    if (!status) bml_mcmc_ensemble_summary(e, s, 100);
    for (int k = 0; k < 3 && !status; k++)
        keep(w, s[k].mean);
    bml_mcmc_ensemble_free(e);
    return status;
}

static int evidence(worker *w) {
    bml_mcmc_prior_param row[3] = {{.lower = -5, .upper = 5}, {.lower = -5, .upper = 5}, {.lower = -5, .upper = 5}};
    bml_mcmc_prior *prior;
    int status = bml_mcmc_prior_create(&prior, row, 3, w->why);
    if (status) return status;
    bml_mcmc_nested_config config = {.n_dim = 3, .live_points = 60, .log_likelihood = log_prob, .prior = prior};
    bml_mcmc_nested *s;
    bml_mcmc_nested_result r = {0};
    status = bml_mcmc_nested_create(&s, &config, w->why);
    if (!status) {
        status = bml_mcmc_nested_run(s, 0);
        if (!status) status = bml_mcmc_nested_get_result(s, &r);
        keep(w, r.log_z);
        keep(w, r.rank_p);
        bml_mcmc_nested_free(s);
    }
    bml_mcmc_prior_free(prior);
    return status;
}

static int learn(worker *w) {
    bml_nn_layer layers[3] = {{.kind = BML_NN_INPUT, .features = 1},
                              {.kind = BML_NN_DENSE, .units = 8, .activation = BML_NN_TANH},
                              {.kind = BML_NN_DENSE, .units = 1}};
    bml_nn_config config = {.layers = layers, .n_layers = 3};
    float x[ROWS];
    float y[ROWS];
    for (int i = 0; i < ROWS; i++) {
        x[i] = (float)i / ROWS;
        y[i] = x[i] * x[i];
    }
    bml_nn_training how = {.x = x, .y = y, .n = ROWS, .epochs = 10, .learning_rate = 5e-3};
    bml_nn *net;
    int status = bml_nn_create(&net, &config, w->why);
    if (status) return status;
    status = bml_nn_train(net, &how, NULL);
    if (!status) status = bml_nn_predict(net, NULL, y, x, ROWS);
    keep(w, (double)y[7]);
    if (!status) status = bml_nn_predict(w->net, NULL, y, x, ROWS);
    keep(w, (double)y[9]);
    bml_nn_free(net);
    return status;
}

static int photons(worker *w) {
    bml_sample_rng rng;
    bml_sample_rng_init(&rng, 9, 0);
    double along[3] = {0, 0, 1};
    double across[3] = {1, 0, 0};
    bml_sample_collision collision = {.gamma = 100, .electron = along, .eps0 = 1e-3, .photon = across};
    double eps = 0;
    double out[3];
    int status = bml_sample_scatter(&eps, out, &collision, &rng);
    keep(w, eps);
    keep(w, out[2]);
    double gamma[2] = {0, 0};
    if (!status) status = bml_sample_thermal_electrons(gamma, 2, 1.0, &rng);
    keep(w, gamma[1]);
    return status;
}

static int forest(worker *w) {
    char text[4000] = "a,b,class\n";
    size_t used = strlen(text);
    bml_classify_rng rng;
    bml_classify_rng_init(&rng, 2, 0);
    for (int i = 0; i < ROWS; i++) {
        double a = bml_classify_rng_normal(&rng) + i % 2;
        int n = snprintf(text + used, sizeof text - used, "%.4f,%.4f,%s\n", a, a * a, i % 2 ? "yes" : "no");
        used += (size_t)n;
    }
    bml_classify_table *table = NULL;
    bml_classify_data *data = NULL;
    bml_classify_config config = {.model = BML_CLASSIFY_FOREST, .seed = 1};
    bml_classify_scores s = {0};
    int status = bml_classify_table_parse(&table, text, used, "typed", w->why);
    if (!status) status = bml_classify_data_from_table(&data, table, "class", w->why);
    if (!status) status = bml_classify_cross_validate(&s, NULL, &config, data, 3, w->why);
    keep(w, s.auc);
    bml_classify_data_free(data);
    bml_classify_table_free(table);
    return status;
}

static void *work(void *arg) {
    static int (*const jobs[])(worker *) = {spectrum, neutrinos, chain, evidence, learn, photons, forest};
    worker *w = (worker *)arg;
    for (size_t k = 0; k < sizeof jobs / sizeof *jobs && !w->status; k++)
        w->status = jobs[k](w);
    return NULL;
}

int main(void) {
    bml_nn_layer layers[2] = {{.kind = BML_NN_INPUT, .features = 1}, {.kind = BML_NN_DENSE, .units = 1}};
    bml_nn_config config = {.layers = layers, .n_layers = 2};
    bml_nn *net = NULL;
    bml_ssc *tables = NULL;
    bml_hadron *made = NULL;
    int status = bml_nn_create(&net, &config, NULL);
    if (!status) status = bml_ssc_create(&tables, NULL, NULL);
    if (!status) status = bml_hadron_create(&made, NULL, NULL);
    CHECK(!status, "what the threads share");
    worker alone = {.tables = tables, .made = made, .net = net};
    work(&alone);
    CHECK(!alone.status && alone.n > 10, "one thread: status %d %s, %d results", alone.status, alone.why, alone.n);
    static worker worker_of[THREADS];
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++) {
        worker_of[i].tables = tables;
        worker_of[i].made = made;
        worker_of[i].net = net;
        CHECK(!pthread_create(&thread[i], NULL, work, &worker_of[i]), "thread %d begins", i);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        int same = !memcmp(worker_of[i].result, alone.result, sizeof alone.result);
        CHECK(!worker_of[i].status && same, "thread %d of %d: the results of one thread, to the bit", i, THREADS);
    }
    bml_ssc_free(tables);
    bml_hadron_free(made);
    bml_nn_free(net);
    return check_done();
}
