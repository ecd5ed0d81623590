/* xray_train.h: networks for X-ray spectra: simulations from a prior, the networks' layers, their loss, and what is
   done before and after the training, which is bml_nn.h's. Include after bml_mcmc.h.

     xray_set_make(&set, n, 0, fitter, threads, prior, seed, err);     models, without noise
     xray_net_make(&net, XRAY_MLP, n_bin, d, 256, 4, 0, 4, seed, err);
     xray_set_noise(x, &set, 0, n, 1, seed, epoch, threads);           inputs, with noise
     xray_net_whiten(&net, x, n, err);
     bml_nn_train(net.nn, ...) with .loss_fn = xray_mixture_loss
     xray_net_calibrate(&net, x_other, u_other, n_other, err);
     xray_net_describe(&net, ...); bml_nn_save(net.nn, ...)
   Public domain or MIT, see LICENSE. */
#ifndef XRAY_TRAIN_H
#define XRAY_TRAIN_H
#include "xray_net.h"

/* ==== simulations ================================================================================================= */

/* Spectra of one data set's bins, drawn from the prior. */
typedef struct xray_set {
    size_t n;
    int n_bin;
    int d;
    float *mean; /* [n][n_bin] model counts, without noise */
    float *u;    /* [n][d] parameters in the cube */
} xray_set;

static inline void xray_set_free(xray_set *s) {
    free(s->mean);
    free(s->u);
    memset(s, 0, sizeof *s);
}

/* Room for n spectra; -1 without memory. Free it in any case. */
static inline int xray_set_room(xray_set *s, size_t n, int n_bin, int d) {
    const size_t bins = (size_t)n_bin;
    const size_t free_ones = (size_t)d;
    s->n = n;
    s->n_bin = n_bin;
    s->d = d;
    s->mean = xray_alloc(n, bins * sizeof *s->mean);
    s->u = xray_alloc(n, free_ones * sizeof *s->u);
    return s->mean && s->u ? 0 : -1;
}

/* n models; rows first ... first + n - 1 of the seed's sequence. fitter[threads]. */
static inline int xray_set_make(xray_set *s, size_t n, size_t first, xray_fitter **fitter, int threads,
                                const bml_mcmc_prior *prior, uint64_t seed, char *err) {
    int bad = 0;
    if (xray_set_room(s, n, fitter[0]->n_bin, fitter[0]->n_free)) {
        xray_set_free(s);
        return error_set(err, "out of memory for %zu spectra", n);
    }
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(threads) reduction(+ : bad)
#endif
    for (long i = 0; i < (long)n; i++) {
        xray_fitter *f = fitter[thread_number()];
        double u[XRAY_MAX_FREE];
        double theta[XRAY_MAX_FREE];
        bml_mcmc_rng rng;
        float *own = s->u + xray_at(i, s->d);
        float *mean = s->mean + xray_at(i, s->n_bin);
        uint64_t stream = ((uint64_t)1 << 40) + first + (uint64_t)i;
        bml_mcmc_rng_init(&rng, seed, stream);
        for (int k = 0; k < s->d; k++) {
            u[k] = bml_mcmc_rng_uniform(&rng);
            own[k] = (float)u[k];
        }
        bad += bml_mcmc_prior_transform(prior, theta, u) != 0;
        xray_counts(f->moved, f, theta);
        for (int b = 0; b < s->n_bin; b++) {
            double counts = f->moved[b];
            bad += !(counts >= 0 && counts < 1e15);
            mean[b] = (float)counts;
        }
    }
    (void)threads;
    if (bad) {
        xray_set_free(s);
        return error_set(err, "the model is not finite everywhere in its prior");
    }
    return 0;
}

/* Labelled spectra from a file's columns THETA and COUNTS: mean[] gets counts, noise included. */
static inline int xray_set_read(xray_set *s, const char *path, const bml_mcmc_prior *prior, int d, int n_bin,
                                char *err) {
    double *theta = NULL;
    double *counts = NULL;
    double u[XRAY_MAX_FREE];
    long rows = 0;
    size_t bad = 0;
    memset(s, 0, sizeof *s);
    if (xray_simulations_read(&theta, &counts, &rows, d, n_bin, path, err)) {
        return -1;
    }
    size_t n = (size_t)rows;
    int room = xray_set_room(s, n, n_bin, d) == 0;
    for (long i = 0; i < rows && !bad && room; i++) {
        float *own = s->u + xray_at(i, d);
        float *mean = s->mean + xray_at(i, n_bin);
        const double *from = counts + xray_at(i, n_bin);
        if (bml_mcmc_prior_inverse(prior, u, theta + xray_at(i, d))) {
            bad = (size_t)i + 1;
        }
        for (int k = 0; k < d; k++) {
            double inside = fmin(fmax(u[k], 1e-6), 1 - 1e-6);
            own[k] = (float)inside;
        }
        for (int b = 0; b < n_bin; b++)
            mean[b] = (float)from[b];
    }
    free(theta);
    free(counts);
    if (!bad && room) {
        return 0;
    }
    if (bad) {
        error_set(err, "%.300s: row %zu: its parameters are outside of the prior", path, bad);
    } else {
        error_set(err, "out of memory for %zu spectra", n);
    }
    xray_set_free(s);
    return -1;
}

/* Keeps rows first ... first + n - 1, or as many of them as there are. */
static inline void xray_set_keep(xray_set *s, size_t first, size_t n) {
    size_t bins = (size_t)s->n_bin;
    size_t d = (size_t)s->d;
    size_t left = s->n - first;
    s->n = n < left ? n : left;
    memmove(s->mean, s->mean + first * bins, s->n * bins * sizeof *s->mean);
    memmove(s->u, s->u + first * d, s->n * d * sizeof *s->u);
}

/* x[n][xray_input_size] of labelled spectra. */
static inline void xray_set_inputs(float *x, const xray_set *s, int mixture) {
    size_t width = xray_input_size(s->n_bin, mixture);
    size_t bins = (size_t)s->n_bin;
    for (size_t i = 0; i < s->n; i++) {
        float *to = x + i * width;
        memcpy(to, s->mean + i * bins, bins * sizeof *x);
        xray_input(to, s->n_bin, mixture);
    }
}

/* x[n][xray_input_size] of rows from ... from + n - 1, with Poisson noise. */
static inline void xray_set_noise(float *x, const xray_set *s, size_t from, size_t n, int mixture, uint64_t seed,
                                  uint64_t epoch, int threads) {
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(threads)
#endif
    for (long i = 0; i < (long)n; i++) {
        bml_mcmc_rng rng;
        const size_t row = from + (size_t)i;
        const float *mean = s->mean + row * (size_t)s->n_bin;
        float *to = x + (size_t)i * xray_input_size(s->n_bin, mixture);
        uint64_t key = seed + 0x9E3779B97F4A7C15u * (epoch + 1);
        uint64_t stream = ((uint64_t)2 << 40) + row;
        bml_mcmc_rng_init(&rng, key, stream);
        for (int b = 0; b < s->n_bin; b++)
            to[b] = (float)xray_poisson(&rng, (double)mean[b]);
        xray_input(to, s->n_bin, mixture);
    }
    (void)threads;
}

/* ==== layers and loss ============================================================================================= */

typedef struct xray_mixture_row {          /* what a row says of each component */
    double each[XRAY_MAX_K];               /* log of its share of the density, but for a constant */
    double logit[XRAY_MAX_K];              /* of its weight */
    double y[XRAY_MAX_K][XRAY_MAX_FREE];   /* L (z - mean) */
    double off[XRAY_MAX_K][XRAY_MAX_FREE]; /* z - mean */
    double top;
    double top_logit;
    double sum;       /* of exp(each - top) */
    double sum_logit; /* of exp(logit - top_logit) */
} xray_mixture_row;

/* The diagonal of L, whose logarithm the network gives. */
static inline double xray_diagonal(bml_nn_real log_l) {
    return exp(fmin(fmax((double)log_l, -30), 30));
}

/* Component c of a network's row p[size] at z. */
static inline void xray_mixture_component(xray_mixture_row *m, int c, const bml_nn_real *p, const bml_nn_real *z,
                                          int d) {
    const bml_nn_real *l = p + 1 + d;
    double *off = m->off[c];
    double s = 0;
    double log_det = 0;
    for (int i = 0; i < d; i++) {
        off[i] = (double)z[i] - (double)p[1 + i];
    }
    for (int i = 0; i < d; i++) {
        double v = off[i];
        for (int j = 0; j < i; j++) {
            v += (double)l[j] * off[j];
        }
        log_det += (double)l[i];
        v *= xray_diagonal(l[i]);
        m->y[c][i] = v;
        s += v * v;
        l += i + 1;
    }
    m->logit[c] = (double)p[0];
    m->each[c] = m->logit[c] + log_det - 0.5 * s;
    m->top = fmax(m->top, m->each[c]);
    m->top_logit = fmax(m->top_logit, m->logit[c]);
}

static inline void xray_mixture_forward(xray_mixture_row *m, const bml_nn_real *row, const bml_nn_real *z, int k,
                                        int d) {
    m->top = -1e300;
    m->top_logit = -1e300;
    m->sum = 0;
    m->sum_logit = 0;
    for (int c = 0; c < k; c++) {
        xray_mixture_component(m, c, row + c * xray_mixture_size(d), z, d);
    }
    for (int c = 0; c < k; c++) {
        double density = m->each[c] - m->top;
        double weight = m->logit[c] - m->top_logit;
        m->sum += exp(density);
        m->sum_logit += exp(weight);
    }
}

/* The gradient g[size] of component c, p[size] in the network's row, for a mean over n rows. */
static inline void xray_mixture_backward(bml_nn_real *g, const xray_mixture_row *m, int c, const bml_nn_real *p, int d,
                                         int n) {
    double share = exp(m->each[c] - m->top) / m->sum;
    double prior = exp(m->logit[c] - m->top_logit) / m->sum_logit;
    double mean[XRAY_MAX_FREE] = {0};
    const double *off = m->off[c];
    const bml_nn_real *l = p + 1 + d;
    bml_nn_real *to = g + 1 + d;
    g[0] = (bml_nn_real)((prior - share) / n);
    for (int i = 0; i < d; i++) {
        double y = m->y[c][i];
        double slope = xray_diagonal(l[i]) * y;
        for (int j = 0; j < i; j++) {
            mean[j] -= (double)l[j] * slope;
            to[j] = (bml_nn_real)(share * slope * off[j] / n);
        }
        mean[i] -= slope;
        to[i] = (bml_nn_real)(share * (y * y - 1) / n);
        l += i + 1;
        to += i + 1;
    }
    for (int i = 0; i < d; i++) {
        g[1 + i] = (bml_nn_real)(share * mean[i] / n);
    }
}

/* The loss of the mixture network: mean over rows of -ln q(z), for bml_nn's BML_NN_CUSTOM. Targets hold z in their
   first d columns; *user is int {k, d}. */
static inline double xray_mixture_loss(const bml_nn_batch *b, void *user) {
    const int k = ((const int *)user)[0];
    const int d = ((const int *)user)[1];
    const int size = xray_mixture_size(d);
    double total = 0;
    for (int r = 0; r < b->n; r++) {
        const size_t at = (size_t)r * b->n_out;
        const bml_nn_real *row = b->prediction + at;
        xray_mixture_row m;
        xray_mixture_forward(&m, row, b->target + at, k, d);
        bml_nn_real *gradient = b->gradient + at;
        double weights = m.top_logit + log(m.sum_logit);
        total += weights - m.top - log(m.sum) + 0.91893853320467274 * d;
        for (int c = 0; c < k; c++) {
            int first = c * size;
            xray_mixture_backward(gradient + first, &m, c, row + first, d, b->n);
        }
    }
    return total / b->n;
}

enum { XRAY_ANN, XRAY_CNN, XRAY_GRU, XRAY_MLP };
enum { XRAY_WHITE = 32 };
enum { XRAY_MAX_DEPTH = 16 };

/* Hidden layer number i of a dropout network. */
static inline bml_nn_layer xray_net_layer(int kind, int i, int depth, int units) {
    bml_nn_layer l;
    memset(&l, 0, sizeof l);
    l.units = units;
    l.kind = BML_NN_DENSE;
    l.activation = BML_NN_RELU;
    if (kind == XRAY_GRU) {
        l.kind = BML_NN_GRU;
        l.activation = BML_NN_LINEAR;
        l.sequence = i + 1 < depth;
    }
    if (kind == XRAY_CNN) {
        l.kind = BML_NN_CONV;
        l.kernel = 5;
        l.stride = 2;
        l.same = 1;
    }
    return l;
}

/* The layers of a dropout network into layer[2 depth + 3]; returns how many. */
static inline int xray_net_dropout(bml_nn_layer *layer, int kind, int n_bin, int d, int units, int depth, double rate) {
    int n = 1;
    int sequence = kind == XRAY_CNN || kind == XRAY_GRU;
    layer[0].kind = BML_NN_INPUT;
    layer[0].features = sequence ? 1 : n_bin;
    layer[0].steps = sequence ? n_bin : 0;
    for (int i = 0; i < depth; i++) {
        layer[n] = xray_net_layer(kind, i, depth, units);
        n++;
        if (rate > 0) {
            layer[n].kind = BML_NN_DROPOUT;
            layer[n].rate = rate;
            n++;
        }
    }
    if (kind == XRAY_CNN) {
        layer[n].kind = BML_NN_FLATTEN;
        n++;
    }
    layer[n].kind = BML_NN_DENSE;
    layer[n].units = d;
    return n + 1;
}

/* The layers of a mixture network into layer[3 depth + 3]; returns how many. Every hidden layer sees the principal
   components (xray_net_whiten) beside the layer before it. */
static inline int xray_net_mixture(bml_nn_layer *layer, char (*name)[8], int n_bin, int n_out, int units, int depth,
                                   double rate) {
    int n = 2;
    layer[0].kind = BML_NN_INPUT;
    layer[0].features = 2 * n_bin;
    layer[1].kind = BML_NN_DENSE;
    layer[1].name = "whiten";
    layer[1].units = 2 * (n_bin < XRAY_WHITE ? n_bin : XRAY_WHITE);
    for (int i = 0; i < depth; i++) {
        if (i > 0) {
            layer[n].kind = BML_NN_CONCAT;
            layer[n].from[0] = "whiten";
            layer[n].from[1] = name[i - 1];
            n++;
        }
        snprintf(name[i], sizeof name[i], "h%d", i % 100);
        layer[n].kind = BML_NN_DENSE;
        layer[n].name = rate > 0 ? NULL : name[i];
        layer[n].activation = BML_NN_SILU;
        layer[n].units = units;
        n++;
        if (!(rate > 0)) {
            continue;
        }
        layer[n].kind = BML_NN_DROPOUT;
        layer[n].name = name[i];
        layer[n].rate = rate;
        n++;
    }
    layer[n].kind = BML_NN_DENSE;
    layer[n].name = "mixture";
    layer[n].units = n_out;
    return n + 1;
}

/* A network for n_bin bins and d parameters: units in each hidden layer, dropout rate, k components (MLP). Free it. */
static inline int xray_net_make(xray_net *net, int kind, int n_bin, int d, int units, int depth, double rate, int k,
                                uint64_t seed, char *err) {
    bml_nn_layer layer[3 * XRAY_MAX_DEPTH + 3];
    char name[XRAY_MAX_DEPTH][8];
    bml_nn_config config = {.layers = layer, .seed = seed};
    memset(net, 0, sizeof *net);
    memset(layer, 0, sizeof layer);
    net->mixture = kind == XRAY_MLP;
    net->k = net->mixture ? k : 0;
    net->d = d;
    net->n_bin = n_bin;
    int hidden = depth < XRAY_MAX_DEPTH ? depth : XRAY_MAX_DEPTH;
    if (net->mixture) {
        int n_out = k * xray_mixture_size(d);
        config.n_layers = xray_net_mixture(layer, name, n_bin, n_out, units, hidden, rate);
    } else {
        config.n_layers = xray_net_dropout(layer, kind, n_bin, d, units, hidden, rate);
    }
    char why[BML_NN_MESSAGE];
    if (!bml_nn_create(&net->nn, &config, why)) {
        return 0;
    }
    error_set(err, "network: %.400s", why);
    xray_net_free(net);
    return -1;
}

/* The pair (x, y) of two numbers turned by an angle of cosine c and sine s. */
static inline void xray_turn(double *x, double *y, double c, double s) {
    double a = *x;
    double b = *y;
    *x = c * a - s * b;
    *y = s * a + c * b;
}

/* Jacobi's rotation that makes the element (p, q) of a[n][n] vanish; v[n][n] turns with it. */
static inline void xray_rotate(double *a, double *v, int n, int p, int q) {
    double apart = a[q * n + q] - a[p * n + p];
    double theta = apart / (2 * a[p * n + q]);
    double sign = theta < 0 ? -1 : 1;
    double t = sign / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1);
    double s = t * c;
    double *row_p = a + p * n;
    double *row_q = a + q * n;
    for (int k = 0; k < n; k++)
        xray_turn(&row_p[k], &row_q[k], c, s);
    for (int k = 0; k < n; k++) {
        double *row = a + k * n;
        double *turned = v + k * n;
        xray_turn(&row[p], &row[q], c, s);
        xray_turn(&turned[p], &turned[q], c, s);
    }
}

/* Eigenvalues and vectors of the symmetric a[n][n] by Jacobi's rotations: values[n] on a's diagonal, vectors v[n][n] in
   columns. Changes a. */
static inline void xray_jacobi(double *a, double *v, int n) {
    for (int i = 0; i < n * n; i++)
        v[i] = i % (n + 1) == 0;
    for (int sweep = 0; sweep < 30; sweep++) {
        double off = 0;
        double on = 0; /* the diagonal */
        for (int i = 0; i < n * n; i++) {
            double square = a[i] * a[i];
            if (i % (n + 1)) {
                off += square;
            } else {
                on += square;
            }
        }
        if (off <= 1e-20 * on) {
            return;
        }
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++)
                if (fabs(a[p * n + q]) > 1e-300) {
                    xray_rotate(a, v, n, p, q);
                }
    }
}

/* Principal components of b columns of x[n][width]: the means go to mean[b], the first `units` components, each scaled
   to variance 1, to the columns of kernel[b][stride]. */
static inline int xray_components(bml_nn_real *kernel, bml_nn_real *mean, const bml_nn_real *x, size_t n, size_t width,
                                  int b, int units, size_t stride, char *err) {
    double *cov = xray_alloc((size_t)b * (size_t)b + (size_t)b, 2 * sizeof *cov);
    if (!cov) {
        return error_set(err, "out of memory");
    }
    double *v = cov + b * b;
    double *off = v + b * b;
    double *average = off + b;
    for (size_t i = 0; i < n; i++) {
        const bml_nn_real *row = x + i * width;
        for (int k = 0; k < b; k++)
            average[k] += (double)row[k] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        const bml_nn_real *row = x + i * width;
        for (int k = 0; k < b; k++)
            off[k] = (double)row[k] - average[k];
        for (int k = 0; k < b; k++)
            for (int l = 0; l < b; l++)
                cov[k * b + l] += off[k] * off[l] / (double)n;
    }
    for (int k = 0; k < b; k++)
        mean[k] = (bml_nn_real)average[k];
    xray_jacobi(cov, v, b);
    for (int u = 0; u < units; u++) { /* the largest that is left */
        int top = 0;
        for (int k = 1; k < b; k++)
            if (cov[k * b + k] > cov[top * b + top]) {
                top = k;
            }
        double sd = sqrt(fmax(cov[top * b + top], 1e-6));
        bml_nn_real *to = kernel + u;
        for (int k = 0; k < b; k++) {
            *to = (bml_nn_real)(v[k * b + top] / sd);
            to += stride;
        }
        cov[top * b + top] = -1;
    }
    free(cov);
    return 0;
}

/* Starts the first layer of a mixture network as the principal components of the two halves of its inputs
   x[n][2 n_bin], each of variance 1, and sets the scaler. The noise of the roots is 1 in every bin, so that small
   components that a parameter moves by much more than the noise are as loud as the great ones: without this, training
   takes long to hear them. At most 1,000 bins; more are left alone. */
static inline int xray_net_whiten(xray_net *net, const bml_nn_real *x, size_t n, char *err) {
    size_t b = (size_t)net->n_bin;
    size_t units = b < XRAY_WHITE ? b : XRAY_WHITE;
    size_t count = 0;
    size_t rows = n < 4000 ? n : 4000;
    bml_nn_real *kernel = bml_nn_tensor(net->nn, "whiten.kernel", &count);
    int bad = 0;
    if (!kernel || count != 4 * b * units || b > 1000) {
        int status = bml_nn_fit_scaler(net->nn, BML_NN_INPUTS, BML_NN_STANDARD, x, n);
        return status ? error_set(err, "network: no scale") : 0;
    }
    bml_nn_real *scale = xray_alloc(4 * b, sizeof *scale);
    if (!scale) {
        return error_set(err, "out of memory");
    }
    memset(kernel, 0, count * sizeof *kernel);
    const size_t wide = 2 * units; /* of a row of the kernel */
    for (size_t half = 0; half < 2 && !bad; half++) {
        const size_t first = half * b;
        bml_nn_real *own = kernel + first * wide + half * units;
        bad = xray_components(own, scale + first, x + first, rows, 2 * b, (int)b, (int)units, wide, err);
    }
    for (size_t k = 0; k < 2 * b; k++)
        scale[2 * b + k] = 1; /* the components do the rest */
    if (!bad && bml_nn_set_scaler(net->nn, BML_NN_INPUTS, scale, scale + 2 * b)) {
        bad = error_set(err, "network: %.300s", bml_nn_message(net->nn));
    }
    free(scale);
    return bad;
}

/* ==== after the training ========================================================================================== */

/* Standard deviations of each component's coordinates, sd[k][d]. */
static inline void xray_mixture_sd(double (*sd)[XRAY_MAX_FREE], const xray_mixture *m) {
    int d = m->d;
    for (int c = 0; c < m->k; c++) {
        double square[XRAY_MAX_FREE] = {0};
        double e[XRAY_MAX_FREE];
        for (int j = 0; j < d; j++) { /* columns of L^-1 */
            double unit[XRAY_MAX_FREE] = {0};
            unit[j] = 1;
            xray_forward(e, m->l[c], unit, d);
            for (int i = j; i < d; i++)
                square[i] += e[i] * e[i];
        }
        for (int k = 0; k < d; k++)
            sd[c][k] = sqrt(square[k]);
    }
}

/* Mean and variance of coordinate k, and the probability of less than z. */
static inline void xray_mixture_marginal(double *mean, double *variance, double *below, const xray_mixture *m,
                                         double (*sd)[XRAY_MAX_FREE], int k, double z) {
    *mean = 0;
    *variance = 0;
    *below = 0;
    for (int c = 0; c < m->k; c++) {
        double share = exp(m->log_share[c]);
        double at = m->mean[c][k];
        double width = sd[c][k];
        *mean += share * at;
        *variance += share * (width * width + at * at);
        *below += share * xray_normal_cdf((z - at) / width);
    }
    *variance = fmax(*variance - *mean * *mean, 1e-12);
}

/* For spectra that the response describes only nearly: fits the mean of (z - network's mean), in units of the network's
   width, as a polynomial of second degree in the network's means, on labelled spectra x[n][n_in], u[n][d] of the real
   kind. The network applies it from then on, and it travels in the file. Widths: xray_net_calibrate, on other rows. */
static inline int xray_net_adjust(xray_net *net, const bml_nn_real *x, const float *u, size_t n, char *err) {
    int d = net->d;
    int size = xray_shift_size(d);
    size_t n_out = bml_nn_n_out(net->nn);
    size_t room = (size_t)size * (size_t)size;
    bml_nn_real *out = xray_alloc(n, n_out * sizeof *out);
    bml_nn_real *shift = xray_alloc((size_t)(d * size), sizeof *shift);
    size_t each = room + 2 * (size_t)size; /* of a parameter */
    double *a = xray_alloc((size_t)d, each * sizeof *a);
    double *b = a ? a + (size_t)d * room : NULL;
    double *term = b ? b + d * size : NULL;
    net->shift = NULL;
    int bad = !out || !shift || !a || bml_nn_predict(net->nn, NULL, out, x, n);
    for (size_t i = 0; i < n && !bad; i++) {
        xray_mixture m;
        double sd[XRAY_MAX_K][XRAY_MAX_FREE];
        xray_net_mixture_of(&m, net, out + i * n_out);
        xray_mixture_sd(sd, &m);
        xray_shift_terms(term, &m);
        double mean;
        double variance;
        double below;
        const float *truth = u + i * (size_t)d;
        for (int k = 0; k < d; k++) {
            double z = xray_probit((double)truth[k]);
            xray_mixture_marginal(&mean, &variance, &below, &m, sd, k, z);
            double *right = b + k * size;
            double *normal = a + (size_t)k * room;
            double off = z - mean;
            for (int r = 0; r < size; r++) {
                double weighted = 1 / variance * term[r];
                right[r] += weighted * off;
                for (int c = 0; c <= r; c++)
                    normal[r * size + c] += weighted * term[c];
            }
        }
    }
    for (int k = 0; k < d && !bad; k++) {
        double *normal = a + (size_t)k * room;
        for (int r = 0; r < size; r++)
            normal[r * size + r] *= 1 + 1e-6;
        bad = !xray_cholesky(normal, size);
        if (!bad) {
            xray_solve(term, normal, b + k * size, size);
        }
        for (int r = 0; r < size; r++)
            shift[k * size + r] = (bml_nn_real)term[r];
    }
    if (!bad) {
        bad = bml_nn_set_array(net->nn, "xray_shift", shift, (size_t)(d * size)) != 0;
    }
    if (!bad) {
        net->shift = bml_nn_get_array(net->nn, "xray_shift", NULL);
    }
    free(out);
    free(shift);
    free(a);
    return bad ? error_set(err, "network: it could not be adjusted") : 0;
}

/* Makes the widths of a mixture network right on rows that it was not trained on: x[n][n_in], u[n][d]. Where the
   network is right, the probability that it gives to less than the truth is uniform, and its probit y is normal:
   standard deviations of parameter k are multiplied by the 68.3 % quantile of |y|. That is written into the last
   layer. */
static inline int xray_net_calibrate(xray_net *net, const bml_nn_real *x, const float *u, size_t n, char *err) {
    size_t n_out = bml_nn_n_out(net->nn);
    size_t count = 0;
    size_t d = (size_t)net->d;
    size_t units = 0;
    bml_nn_real *out = xray_alloc(n, n_out * sizeof *out);
    bml_nn_real *kernel = bml_nn_tensor(net->nn, "mixture.kernel", &count);
    bml_nn_real *bias = bml_nn_tensor(net->nn, "mixture.bias", &units);
    double *off = xray_alloc(n, d * sizeof *off);
    double wider[XRAY_MAX_FREE]; /* |y| [d][n] */
    int bad = !out || !off || !kernel || !bias || units != n_out || bml_nn_predict(net->nn, NULL, out, x, n);
    for (size_t i = 0; i < n && !bad; i++) {
        xray_mixture m;
        double sd[XRAY_MAX_K][XRAY_MAX_FREE];
        xray_net_mixture_of(&m, net, out + i * n_out);
        xray_mixture_sd(sd, &m);
        double mean;
        double variance;
        double below;
        for (size_t k = 0; k < d; k++) {
            double z = xray_probit((double)u[i * d + k]);
            xray_mixture_marginal(&mean, &variance, &below, &m, sd, (int)k, z);
            off[k * n + i] = fabs(xray_probit(below));
        }
    }
    for (size_t k = 0; k < d && !bad; k++)
        wider[k] = fmax(bml_mcmc_quantile(off + k * n, n, 0.683), 1e-3);
    for (int c = 0; c < net->k && !bad; c++) {
        size_t at = (size_t)(c * xray_mixture_size(net->d)) + 1 + d;
        for (size_t i = 0; i < d; i++)
            for (size_t j = 0; j <= i; j++) {
                if (i == j) {
                    bias[at] -= (bml_nn_real)log(wider[j]);
                } else {
                    bml_nn_real ratio = (bml_nn_real)(wider[i] / wider[j]);
                    bias[at] *= ratio;
                    for (size_t row = 0; row < count / units; row++)
                        kernel[row * units + at] *= ratio;
                }
                at++;
            }
    }
    free(out);
    free(off);
    return bad ? error_set(err, "network: it could not be calibrated") : 0;
}

/* Puts into the file what a spectrum must be like, and what the numbers mean. */
static inline int xray_net_describe(xray_net *net, const xray_data *data, const char *model, const char *prior,
                                    const char *fixed, int statistic, int abundance, char *err) {
    char text[64];
    int bad = 0;
    bml_nn_real *bin = xray_alloc((size_t)data->n_channel, sizeof *bin);
    bml_nn_real how[3];
    if (!bin) {
        return error_set(err, "out of memory");
    }
    for (int c = 0; c < data->n_channel; c++)
        bin[c] = (bml_nn_real)data->bin[c];
    how[0] = (bml_nn_real)data->exposure;
    how[1] = (bml_nn_real)statistic;
    how[2] = (bml_nn_real)abundance;
    snprintf(text, sizeof text, "%s %d %d", net->mixture ? "mixture" : "dropout", net->k, net->d);
    bad |= bml_nn_set_text(net->nn, "xray_kind", text);
    bad |= bml_nn_set_text(net->nn, "xray_model", model);
    bad |= bml_nn_set_text(net->nn, "xray_prior", prior);
    bad |= bml_nn_set_text(net->nn, "xray_fixed", fixed);
    bad |= bml_nn_set_array(net->nn, "xray_bin", bin, (size_t)data->n_channel);
    bad |= bml_nn_set_array(net->nn, "xray_how", how, 3);
    free(bin);
    return bad ? error_set(err, "out of memory") : 0;
}
#endif
