/* blazar_nets.h: the networks of classify_blazar: their layers, how they are trained and asked. Public domain or MIT,
   see LICENSE. */
#ifndef BLAZAR_NETS_H
#define BLAZAR_NETS_H
#include "blazar_inputs.h"

/* ==== layers ====================================================================================================== */

enum { MAX_LAYERS = 24 };

typedef struct design {
    bml_nn_layer layer[MAX_LAYERS];
    int n_layers;
    int epochs;
    double rate;
} design;

static bml_nn_layer *add_layer(design *d, int kind, int units, int activation) {
    bml_nn_layer *l = &d->layer[d->n_layers++];
    memset(l, 0, sizeof *l);
    l->kind = kind;
    l->units = units;
    l->activation = activation;
    return l;
}

static void add_input(design *d, int steps, int features) {
    bml_nn_layer *l = add_layer(d, BML_NN_INPUT, 0, 0);
    l->steps = steps;
    l->features = features;
}

/* The published kind of net: four times convolution (3, tanh, more and more filters) and pooling by two, a
   bidirectional LSTM, dense layers; nine million weights at 2,745 bins. The paper's numbers of filters and units are
   not repeated here: these were taken for the stated size. One channel: the flux, missing = 0. */
static void design_published(design *d, int bins) {
    add_input(d, bins, 1);
    bml_nn_layer *l;
    for (int k = 0; k < 4 && bins >= 64; k++) {
        l = add_layer(d, BML_NN_CONV, 32 << k, BML_NN_TANH);
        l->kernel = 3;
        l->same = 1;
        add_layer(d, BML_NN_POOL, 0, 0)->kernel = 2;
    }
    l = add_layer(d, BML_NN_LSTM, 64, 0);
    l->bidirectional = 1;
    l->sequence = 1;
    add_layer(d, BML_NN_FLATTEN, 0, 0);
    add_layer(d, BML_NN_DENSE, 384, BML_NN_TANH);
    add_layer(d, BML_NN_DENSE, 64, BML_NN_TANH);
    d->rate = 3e-4;
    d->epochs = 20;
}

/* A dense net on bins of 0.1 dex, three numbers each: whether measured, the flux, and the lowest upper limit. */
static void design_small(design *d) {
    add_input(d, 0, SMALL_CHANNELS * SMALL_BINS);
    add_layer(d, BML_NN_DENSE, 64, BML_NN_SILU);
    add_layer(d, BML_NN_DROPOUT, 0, 0)->rate = 0.2;
    add_layer(d, BML_NN_DENSE, 32, BML_NN_SILU);
    d->rate = 2e-3;
    d->epochs = 40;
}

/* A net on the points: the same dense layers for each point, the largest of each of their outputs over the points, and
   dense layers on those (Zaheer et al. 2017, arXiv:1703.06114; Qi et al. 2017, arXiv:1612.00593). */
static void design_points(design *d) {
    add_input(d, N_POINTS, POINT_FEATURES);
    add_layer(d, BML_NN_CONV, 32, BML_NN_SILU)->kernel = 1;
    add_layer(d, BML_NN_CONV, 64, BML_NN_SILU)->kernel = 1;
    add_layer(d, BML_NN_POOL, 0, 0)->kernel = N_POINTS;
    add_layer(d, BML_NN_FLATTEN, 0, 0);
    add_layer(d, BML_NN_DENSE, 64, BML_NN_SILU);
    d->rate = 2e-3;
    d->epochs = 60;
}

static void make_design(design *d, int net, const world *w) {
    memset(d, 0, sizeof *d);
    if (net == PUBLISHED) {
        design_published(d, w->fine.n);
    } else if (net == SMALL) {
        design_small(d);
    } else {
        design_points(d);
    }
    add_layer(d, BML_NN_DENSE, 1, BML_NN_LINEAR); /* the logit: the sigmoid is in the loss */
    if (w->s->epochs) {
        d->epochs = (int)w->s->epochs;
    }
}

/* ==== training ==================================================================================================== */

typedef struct fold_rows {
    int *row; /* [n]: training, validation, test rows one after another */
    int n_train;
    int n_val;
    int n_test;
} fold_rows;

typedef struct trained {
    bml_nn *net;
    int kind; /* SMALL, POINTS, PUBLISHED */
    design how;
    double val_loss; /* of the epoch kept */
    double seconds;  /* of one epoch */
    double cpu;      /* seconds of one epoch */
} trained;

static void nn_check(int status, const bml_nn *net, const char *what) {
    if (status) {
        fail("%s: %s: %s", what, bml_nn_strerror(status), bml_nn_message(net));
    }
}

/* Multiplications and additions of one forward pass, of layers from which a gradient goes back to their inputs, and
   of the first layer, from which none does. */
static double flops(const design *d, double *first) {
    double steps = 0;
    double in = 0;
    double sum = 0;
    *first = 0;
    for (int k = 0; k < d->n_layers; k++) {
        const bml_nn_layer *l = &d->layer[k];
        double own = 0;
        if (l->kind == BML_NN_INPUT) {
            steps = l->steps ? l->steps : 1;
            in = l->features;
        } else if (l->kind == BML_NN_CONV) {
            own = 2 * steps * l->kernel * in * l->units;
            in = l->units;
        } else if (l->kind == BML_NN_POOL) {
            steps = floor(steps / l->kernel);
        } else if (l->kind == BML_NN_FLATTEN) {
            in *= steps;
            steps = 1;
        } else if (l->kind == BML_NN_LSTM) {
            own = 2 * steps * 8 * l->units * (in + l->units);
            in = 2 * l->units;
        } else if (l->kind == BML_NN_DENSE) {
            own = 2 * steps * in * l->units;
            in = l->units;
        }
        if (k == 1) {
            *first = own;
        }
        sum += own;
    }
    return sum;
}

static ptrdiff_t net_inputs(const bml_nn *net) {
    return (ptrdiff_t)bml_nn_n_in(net);
}

typedef struct watched { /* training on the device, as its bar shows it */
    progress_bar *bar;
    double done;
    int epochs;
} watched;

static int show_epoch(const bml_nn_epoch *e, void *user) {
    const watched *w = user;
    progress_at(w->bar, w->done + (double)e->epoch / w->epochs, NULL);
    return 0;
}

/* All epochs at once on the device, or, on the CPU, one after another, so that with --noise every epoch sees the
   fluxes drawn anew. */
static void run_epochs(trained *t, bml_nn_training *how, float *x, const world *w, const fold_rows *f,
                       progress_bar *bar, double done) {
    const settings *s = w->s;
    bml_nn_trainer *trainer = NULL;
    bml_nn_epoch last;
    double start = seconds_now();
    clock_t cpu = clock();
    watched shown = {bar, done, how->epochs * (int)s->copies};
    int on_device = device_ready(&s->card) && bml_nn_n_params(t->net) > 100000; /* less is as quick on the CPU */
    if (on_device) {
        how->callback = show_epoch;
        how->user = &shown;
        device_train(&s->card, t->net, how, &last);
    } else {
        nn_check(bml_nn_trainer_create(&trainer, t->net, how, NULL), t->net, "training");
    }
    for (int e = 0; e < how->epochs && !on_device; e++) {
        if (s->noise) {
            make_inputs(x, net_inputs(t->net), t->kind, w, f->row, f->n_train, (uint64_t)e + 1);
        }
        nn_check(bml_nn_trainer_run(trainer, 1), t->net, "training");
        progress_at(bar, done + (e + 1.0) / shown.epochs, NULL);
    }
    if (!on_device) {
        last = bml_nn_trainer_last(trainer);
    }
    t->val_loss = last.best_loss;
    t->seconds = (seconds_now() - start) / how->epochs;
    t->cpu = (double)(clock() - cpu) / CLOCKS_PER_SEC / how->epochs;
    bml_nn_trainer_free(trainer);
}

/* Trains a net on the training rows, keeping the epoch of the lowest loss on the validation rows. */
static void train_net(trained *t, int net, const world *w, const fold_rows *f, uint64_t seed, progress_bar *bar,
                      double done) {
    bml_nn_config config = {0};
    bml_nn_training how = {0};
    int n = f->n_train + f->n_val;
    float *y = zeroed(n, sizeof *y);
    memset(t, 0, sizeof *t);
    t->kind = net;
    make_design(&t->how, net, w);
    config.layers = t->how.layer;
    config.n_layers = t->how.n_layers;
    config.seed = seed;
    char why[BML_NN_MESSAGE];
    const int made = bml_nn_create(&t->net, &config, why);
    if (made) {
        fail("network: %s: %s", bml_nn_strerror(made), why);
    }
    ptrdiff_t n_in = net_inputs(t->net);
    float *x;
    x = zeroed(n * n_in, sizeof *x);
    make_inputs(x, n_in, net, w, f->row, n, 0);
    for (int i = 0; i < n; i++) {
        y[i] = (float)w->set->sed[f->row[i]].label;
    }
    how.x = x;
    how.y = y;
    how.n = (size_t)f->n_train;
    how.x_val = x + f->n_train * n_in;
    how.y_val = y + f->n_train;
    how.n_val = (size_t)f->n_val;
    how.loss = BML_NN_BINARY_LOGITS;
    how.learning_rate = t->how.rate;
    how.epochs = t->how.epochs;
    how.schedule = net == PUBLISHED ? BML_NN_CONSTANT : BML_NN_COSINE;
    how.batch = net == PUBLISHED ? 128 : 64;
    how.threads = net == SMALL ? 1 : (int)w->s->threads;
    how.seed = seed;
    how.clip = 1;
    if (how.batch > f->n_train) {
        how.batch = f->n_train;
    }
    how.block = net == PUBLISHED ? 64 : 0; /* larger products, faster by a tenth */
    run_epochs(t, &how, x, w, f, bar, done);
    free(x);
    free(y);
}

/* p[n_rows] of being a blazar. */
static void ask_net(double *p, const trained *t, const world *w, const int *row, int n_rows) {
    ptrdiff_t n_in = net_inputs(t->net);
    float *x = zeroed(n_rows * n_in, sizeof *x);
    float *z = zeroed(n_rows, sizeof *z);
    make_inputs(x, n_in, t->kind, w, row, n_rows, 0);
    nn_check(bml_nn_predict(t->net, NULL, z, x, (size_t)n_rows), t->net, "network");
    for (int i = 0; i < n_rows; i++) {
        p[i] = 1 / (1 + exp(-(double)z[i]));
    }
    free(x);
    free(z);
}
#endif
