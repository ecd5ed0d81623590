/* guide.h: a small network that learns log10 of the fluxes from the answers of the run under way, for the importance
   sampler: it draws where the network says that the posterior is (guide and learn in bml_mcmc.h), and asks the solver
   only there. What the network gets wrong costs draws, never correctness. Public domain or MIT, see LICENSE. */
#ifndef FIT_SED_GUIDE_H
#define FIT_SED_GUIDE_H
#include "evaluate.h"

enum { GUIDE_ROWS = 64 };                  /* that are asked together */
enum { GUIDE_UNITS = 64 };                 /* of either hidden layer */
enum { GUIDE_FIRST_EPOCHS = 60 };          /* when it learns first, */
enum { GUIDE_EPOCHS = 60 };                /* and later */
static const char guide_frame[] = "frame"; /* array of the net: mean [d] and inverse [d][d] of `response`, */
static const char guide_most[] = "most";   /* and the largest ln likelihood that it may give */

/* x [d]: theta [d] in coordinates of unit covariance. */
static void guide_place(float *x, const float *frame, const double *theta, int d) {
    const float *mean = frame;
    const float *row = frame + d;
    for (int i = 0; i < d; i++) {
        double sum = 0;
        for (int j = 0; j <= i; j++) {
            const double from_mean = theta[j] - (double)mean[j];
            sum += (double)row[j] * from_mean;
        }
        x[i] = (float)sum;
        row += d;
    }
}

/* An untrained net for what has been learned; NULL: the points span less than the space. */
static bml_nn *guide_net(const problem *p) {
    const memory *m = &p->learned;
    const int d = p->n_model;
    float frame[RESPONSE_DIM + RESPONSE_DIM * RESPONSE_DIM];
    response r = {.n_dim = d};
    bml_nn *net;
    if (d > RESPONSE_DIM || m->n < 20 * d || response_whiten(&r, m->theta, m->n)) {
        return NULL;
    }
    float *row = frame + d;
    for (int i = 0; i < d; i++) {
        frame[i] = (float)r.mean[i];
        for (int j = 0; j < d; j++)
            row[j] = (float)r.inverse[i][j];
        row += d;
    }
    bml_nn_layer layers[4] = {{0}};
    layers[0].kind = BML_NN_INPUT;
    layers[0].features = d;
    for (int hidden = 1; hidden <= 2; hidden++) {
        layers[hidden].kind = BML_NN_DENSE;
        layers[hidden].units = GUIDE_UNITS;
        layers[hidden].activation = BML_NN_TANH;
    }
    layers[3].kind = BML_NN_DENSE;
    layers[3].units = p->sed.n;
    bml_nn_config config = {0};
    config.layers = layers;
    config.n_layers = 4;
    config.seed = p->opt->seed;
    char why[BML_NN_MESSAGE];
    int status = bml_nn_create(&net, &config, why);
    if (!status) {
        status = bml_nn_set_array(net, guide_frame, frame, (size_t)(d + d * d));
    }
    if (status) {
        fail("fit_sed: %s", bml_nn_strerror(status));
    }
    return net;
}

/* What threads need to ask it. */
static void guide_open(problem *p, bml_nn *net) {
    const size_t threads = (size_t)p->threads;
    const size_t rows = threads * GUIDE_ROWS;
    guide *g = &p->guide;
    g->net = net;
    g->work = malloc(threads * sizeof *g->work);
    g->x = malloc(rows * (size_t)p->n_model * sizeof *g->x);
    g->y = malloc(rows * (size_t)p->sed.n * sizeof *g->y);
    if (!g->work || !g->x || !g->y) {
        fail("fit_sed: out of memory");
    }
    for (int t = 0; t < p->threads; t++)
        if (bml_nn_work_create(&g->work[t], net, GUIDE_ROWS, 1, NULL)) {
            fail("fit_sed: out of memory");
        }
}

static void guide_close(problem *p) {
    guide *g = &p->guide;
    for (int t = 0; g->net && t < p->threads; t++)
        bml_nn_work_free(g->work[t]);
    free(g->work);
    free(g->x);
    free(g->y);
    bml_nn_free(g->net);
    g->net = NULL;
    g->work = NULL;
    g->x = NULL;
    g->y = NULL;
}

/* The net as a file's bytes, to be freed with bml_nn_free_bytes; NULL without a net. */
static unsigned char *guide_bytes(size_t *size, const problem *p) {
    unsigned char *bytes = NULL;
    *size = 0;
    if (p->guide.net && bml_nn_encode(p->guide.net, &bytes, size, BML_NN_F32)) {
        fail("fit_sed: out of memory");
    }
    return bytes;
}

/* The net from these bytes, if there are any. Not 0: they are no guide of this problem. */
static int guide_from_bytes(problem *p, const unsigned char *bytes, size_t size) {
    bml_nn *net;
    size_t n;
    const size_t d = (size_t)p->n_model;
    guide_close(p);
    if (!size) {
        return 0;
    }
    if (bml_nn_decode(&net, bytes, size, NULL)) {
        return 1;
    }
    const int fits = bml_nn_n_in(net) == d && bml_nn_n_out(net) == (size_t)p->sed.n;
    const int framed = bml_nn_get_array(net, guide_frame, &n) && n == d + d * d;
    if (!fits || !framed || !bml_nn_get_array(net, guide_most, &n) || n != 1) {
        bml_nn_free(net);
        return 1;
    }
    guide_open(p, net);
    return 0;
}

static int guide_stop(const bml_nn_epoch *now, void *user) {
    (void)now;
    (void)user;
    return stop_asked() != 0;
}

/* The net's outputs are counted in the errors of the points, so that it is as good as the likelihood wants it. */
static int guide_scale(const problem *p, bml_nn *net) {
    const int n = p->sed.n;
    float *shift = malloc(2 * (size_t)n * sizeof *shift);
    if (!shift) {
        fail("fit_sed: out of memory");
    }
    float *scale = shift + n;
    for (int k = 0; k < n; k++) {
        const bml_ssc_point *point = &p->sed.point[k];
        double dex = 0.5 * (point->sigma_lo + point->sigma_hi);
        if (point->upper_limit) {
            dex = 0.5;
        }
        dex = fmin(fmax(dex, 0.01), 1);
        shift[k] = (float)p->log_data[k];
        scale[k] = (float)(3 * dex);
    }
    const int status = bml_nn_set_scaler(net, BML_NN_OUTPUTS, shift, scale);
    free(shift);
    return status;
}

/* Trains the net on n rows of the memory, every so-manieth. */
static int guide_train(problem *p, size_t n, int first) {
    const memory *m = &p->learned;
    const size_t d = (size_t)p->n_model;
    const size_t n_out = (size_t)p->sed.n;
    bml_nn *net = p->guide.net;
    size_t unused;
    const float *frame = bml_nn_get_array(net, guide_frame, &unused);
    float *x = malloc(n * (d + n_out) * sizeof *x);
    if (!x) {
        fail("fit_sed: out of memory");
    }
    float *y = x + n * d;
    for (size_t i = 0; i < n; i++) {
        const size_t from = i * (size_t)m->n / n;
        const double *dex = m->dex + from * n_out;
        float *out = y + i * n_out;
        guide_place(x + i * d, frame, m->theta + from * d, (int)d);
        for (size_t k = 0; k < n_out; k++)
            out[k] = (float)dex[k];
    }
    const float most = (float)m->best + 1;
    int status = first ? guide_scale(p, net) : BML_NN_OK;
    if (!status) {
        status = bml_nn_set_array(net, guide_most, &most, 1);
    }
    bml_nn_training how = {0};
    how.x = x;
    how.y = y;
    how.n = n;
    how.epochs = GUIDE_EPOCHS;
    how.learning_rate = 2e-3;
    if (first) {
        how.epochs = GUIDE_FIRST_EPOCHS;
        how.learning_rate = 5e-3;
    }
    how.schedule = BML_NN_COSINE;
    how.batch = 64;
    how.threads = p->threads;
    how.seed = p->opt->seed;
    how.callback = guide_stop;
    if (!status) {
        status = bml_nn_train(net, &how, NULL);
    }
    free(x);
    if (status && status != BML_NN_CANCELLED) {
        fail("fit_sed: %s: %s", bml_nn_strerror(status), bml_nn_message(net));
    }
    return status;
}

/* From all answers near the best. From the first time on every answer is kept: the sampler now goes where the network
   says, which shows where that is wrong. 1: too few answers; -1: asked to stop. */
static int guide_learn(void *user) {
    enum { MOST = 20000 };
    problem *p = user;
    const int first = !p->guide.net;
    bml_nn_free_bytes(p->guide.before);
    p->guide.before = guide_bytes(&p->guide.before_size, p);
    forget_behind(p);
    p->guide.learned = p->learned.n;
    if (first) {
        bml_nn *net = guide_net(p);
        if (!net) {
            return 1;
        }
        guide_open(p, net);
    }
    p->pin = 1;
    const long rows = p->learned.n < MOST ? p->learned.n : MOST;
    const int stopped = guide_train(p, (size_t)rows, first);
    return stopped ? -1 : 0;
}

/* What a round of the sampler changes here, and how it is undone where the round does not come to its end. */
typedef struct guide_round {
    long learned;
    double best;
} guide_round;

static guide_round guide_round_begin(problem *p) {
    p->guide.learned = -1;
    return (guide_round){p->learned.n, p->learned.best};
}

static void guide_round_undo(problem *p, guide_round before) {
    const int learned = p->guide.learned >= 0;
    p->learned.n = learned ? p->guide.learned : before.learned;
    p->learned.best = before.best;
    if (learned && guide_from_bytes(p, p->guide.before, p->guide.before_size)) {
        fail("fit_sed: out of memory");
    }
    p->pin = p->guide.net != NULL;
}

/* ln likelihoods of count <= GUIDE_ROWS points by the net, on thread t. None is believed to be much better than the best
   that is known: else walks would end in a needle that is not there. */
static void guide_block(double *ln_l, const double *theta, int count, int n_dim, const problem *p, int t) {
    const int d = p->n_model;
    const int n_out = p->sed.n;
    float *x = p->guide.x + (ptrdiff_t)t * GUIDE_ROWS * d;
    float *y = p->guide.y + (ptrdiff_t)t * GUIDE_ROWS * n_out;
    double *dex = p->scratch + (ptrdiff_t)t * n_out;
    size_t unused;
    const float *frame = bml_nn_get_array(p->guide.net, guide_frame, &unused);
    const double most = (double)*bml_nn_get_array(p->guide.net, guide_most, &unused);
    for (int i = 0; i < count; i++)
        guide_place(x + i * d, frame, theta + i * n_dim, d);
    const int status = bml_nn_predict(p->guide.net, p->guide.work[t], y, x, (size_t)count);
    for (int i = 0; i < count; i++) {
        double full[N_PAR];
        expand(full, p, theta);
        for (int k = 0; k < n_out; k++)
            dex[k] = (double)y[k];
        ln_l[i] = -HUGE_VAL;
        if (!status && allowed(p, full)) {
            const double by_net = ln_likelihood_dex(p, p->sed.point, dex, full);
            ln_l[i] = fmin(by_net, most);
        }
        theta += n_dim;
        y += n_out;
    }
}

/* n points at once; threads over blocks. */
static void guide_log_likelihood(double *ln_l, const double *theta, int n, int n_dim, void *user) {
    const problem *p = user;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(p->threads) if (n > GUIDE_ROWS)
#endif
    for (int from = 0; from < n; from += GUIDE_ROWS) {
        const int count = n - from < GUIDE_ROWS ? n - from : GUIDE_ROWS;
        guide_block(ln_l + from, theta + (ptrdiff_t)from * n_dim, count, n_dim, p, thread_number());
    }
}
#endif
