/* train.h: the command train: simulate, train, test, save. The networks: xray_train.h.
   Public domain or MIT, see LICENSE. */
#ifndef FIT_XRAY_TRAIN_H
#define FIT_XRAY_TRAIN_H
#include "report.h"
#include "xray_train.h"

/* The prior's lines, as they travel in the network's file. */
static void prior_lines(char *text, size_t size, const session *s) {
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < s->file.n && used < size; i++) {
        const prior_row *r = &s->file.row[i];
        int limits = r->lower < r->upper;
        if (r->kind == PRIOR_TABLE) {
            fail("%.300s:%ld: train takes no tables", s->file.name, r->line);
        }
        used += (size_t)snprintf(text + used, size - used, "%s,%s", r->name,
                                 r->kind == PRIOR_UNIFORM       ? "uniform"
                                 : r->kind == PRIOR_LOG_UNIFORM ? "loguniform"
                                 : limits                       ? "truncnormal"
                                                                : "normal");
        if (used < size && r->kind == PRIOR_NORMAL) {
            used += (size_t)snprintf(text + used, size - used, ",%.17g,%.17g", r->mean, r->sd);
        }
        if (used < size && (limits || r->kind != PRIOR_NORMAL)) {
            used += (size_t)snprintf(text + used, size - used, ",%.17g,%.17g", r->lower, r->upper);
        }
        if (used < size) {
            used += (size_t)snprintf(text + used, size - used, "\n");
        }
    }
    if (used >= size) {
        fail("%.300s: too long", s->file.name);
    }
}

typedef struct training_set {
    xray_set set;
    float *x; /* [n][n_in]: training rows, then validation, then test */
    float *y; /* [n][n_out], alike */
    size_t n_train;
    size_t n_val;
    size_t n_test;
} training_set;

/* Spectra simulated from the prior, 60/20/20; or from --train-on: of its first four fifths an eighth validates. */
static void make_set(training_set *t, session *s, const xray_net *net) {
    char err[ERROR_SIZE];
    size_t n = (size_t)s->opt->n;
    size_t n_in = bml_nn_n_in(net->nn);
    size_t n_out = bml_nn_n_out(net->nn);
    size_t d = (size_t)net->d;
    double t0 = seconds_now();
    if (s->opt->train_on ? xray_set_read(&t->set, s->opt->train_on, s->prior, net->d, net->n_bin, err)
                         : xray_set_make(&t->set, n, 0, s->fitter, s->threads, s->prior, s->opt->seed, err)) {
        fail("%s", err);
    }
    n = t->set.n;
    if (n < 50) {
        fail("%.300s: %zu spectra are too few", s->opt->train_on, n);
    }
    t->n_test = n / 5;
    t->n_val = s->opt->train_on ? (n - n / 5) / 8 : n / 5;
    t->n_train = n - t->n_test - t->n_val;
    t->x = xray_alloc(n, n_in * sizeof *t->x);
    t->y = xray_alloc(n, n_out * sizeof *t->y);
    if (!t->x || !t->y) {
        fail("fit_xray train: out of memory");
    }
    if (s->opt->train_on) {
        xray_set_inputs(t->x, &t->set, net->mixture);
    } else {
        xray_set_noise(t->x, &t->set, 0, n, net->mixture, s->opt->seed, 0, s->threads);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < d; k++) {
            float u = t->set.u[i * d + k];
            t->y[i * n_out + k] = net->mixture ? (float)xray_probit((double)u) : u;
        }
    printf("%zu spectra %s in %.1f s\n", n, s->opt->train_on ? "read" : "simulated", seconds_now() - t0);
}

/* The published settings, unless told otherwise. */
static void training_defaults(options *o, int kind) {
    int mlp = kind == XRAY_MLP;
    if (!o->units) {
        o->units = mlp ? 256 : 100;
    }
    if (!o->depth) {
        o->depth = 4;
    }
    if (!o->epochs && !(mlp && o->start && o->train_on)) {
        o->epochs = mlp ? 60 : 5000;
    }
    if (!o->batch) {
        o->batch = mlp ? 128 : 32;
    }
    if (!(o->rate > 0)) {
        o->rate = mlp ? 1e-3 : 1e-4;
    }
    if (!(o->dropout >= 0)) {
        o->dropout = mlp ? 0 : 0.1;
    }
    if (!mlp && !(o->dropout > 0)) {
        fail("fit_xray train: --dropout 0: the draws of ann, cnn and gru come from it");
    }
}

/* The settings as bml_nn.h takes them. */
static bml_nn_training training_of(const session *s, const xray_net *net, const training_set *t, int *kd) {
    size_t n_in = bml_nn_n_in(net->nn);
    size_t n_out = bml_nn_n_out(net->nn);
    bml_nn_training how = {.x = t->x,
                           .y = t->y,
                           .n = t->n_train,
                           .x_val = t->x + t->n_train * n_in,
                           .y_val = t->y + t->n_train * n_out,
                           .n_val = t->n_val,
                           .loss = net->mixture ? BML_NN_CUSTOM : BML_NN_MSE,
                           .loss_fn = xray_mixture_loss,
                           .loss_user = kd,
                           .learning_rate = s->opt->rate,
                           .schedule = net->mixture ? BML_NN_COSINE : BML_NN_CONSTANT,
                           .decay = 0.01,
                           .batch = (int)s->opt->batch,
                           .epochs = (int)s->opt->epochs,
                           .clip = net->mixture ? 5 : 0,
                           .patience = net->mixture ? 0 : 100,
                           .first_epoch = net->mixture ? 0 : 50,
                           .threads = s->threads,
                           .seed = s->opt->seed};
    kd[0] = net->k;
    kd[1] = net->d;
    return how;
}

/* A bml_nn_epoch_fn: ends the training --minutes after the program's start. */
static int out_of_time(const bml_nn_epoch *e, void *user) {
    const session *s = user;
    (void)e;
    return s->opt->minutes > 0 && seconds_now() - s->start > 60 * s->opt->minutes;
}

/* The trainer, at its start or where --checkpoint's file left off. */
static bml_nn_trainer *begin_training(session *s, xray_net *net, const training_set *t, int *kd) {
    bml_nn_training how = training_of(s, net, t, kd);
    bml_nn_trainer *trainer = NULL;
    FILE *saved = s->opt->checkpoint ? fopen(s->opt->checkpoint, "rb") : NULL;
    char err[ERROR_SIZE];
    int status = 0;
    if (net->mixture && !s->opt->start && xray_net_whiten(net, t->x, t->n_train, err)) {
        fail("%s", err);
    }
    if (!net->mixture && !s->opt->start) {
        status = bml_nn_fit_scaler(net->nn, BML_NN_INPUTS, BML_NN_STANDARD, t->x, t->n_train);
    }
    how.callback = out_of_time;
    how.user = s;
    if (!status) {
        status = bml_nn_trainer_create(&trainer, net->nn, &how, NULL);
    }
    if (status) {
        fail("fit_xray train: %s: %s", bml_nn_strerror(status), bml_nn_message(net->nn));
    }
    if (!saved) {
        return trainer;
    }
    fclose(saved);
    status = bml_nn_trainer_load(trainer, s->opt->checkpoint);
    if (status) {
        fail("%.300s: %s: %s", s->opt->checkpoint, bml_nn_strerror(status), bml_nn_message(net->nn));
    }
    printf("going on after epoch %d\n", bml_nn_trainer_last(trainer).epoch);
    return trainer;
}

/* Runs the epochs; history[epochs][4] gets epoch, loss, validation loss, seconds. Returns how many there were. */
static long run_training(double *history, session *s, xray_net *net, training_set *t) {
    int kd[2];
    int status = 0;
    bml_nn_trainer *trainer = begin_training(s, net, t, kd);
    progress_bar bar;
    double t0 = seconds_now();
    double saved = t0;
    long done = 0;
    progress_begin(&bar, "training", (double)s->opt->epochs, s->opt->quiet);
    while (!status && !bml_nn_trainer_done(trainer)) {
        bml_nn_epoch e = bml_nn_trainer_last(trainer);
        char note[64];
        if (s->opt->checkpoint && (seconds_now() - saved > 60 || out_of_time(NULL, s))) {
            status = bml_nn_trainer_save(trainer, s->opt->checkpoint);
            if (status) {
                fail("%.300s: %s", s->opt->checkpoint, bml_nn_strerror(status));
            }
            saved = seconds_now();
        }
        if (e.epoch && !s->opt->train_on && net->mixture) { /* noise that no epoch has seen before */
            xray_set_noise(t->x, &t->set, 0, t->n_train, 1, s->opt->seed, (uint64_t)e.epoch, s->threads);
        }
        status = bml_nn_trainer_run(trainer, 1);
        if (status == BML_NN_CANCELLED) {
            status = 0;
        }
        e = bml_nn_trainer_last(trainer);
        history[4 * done] = e.epoch;
        history[4 * done + 1] = e.loss;
        history[4 * done + 2] = e.val_loss;
        history[4 * done++ + 3] = seconds_now() - t0;
        snprintf(note, sizeof note, "loss %.4g, validation %.4g", e.loss, e.val_loss);
        progress_at(&bar, (double)e.epoch, note);
    }
    progress_end(&bar);
    if (status) {
        fail("fit_xray train: %s: %s", bml_nn_strerror(status), bml_nn_message(net->nn));
    }
    bml_nn_trainer_free(trainer);
    if (done) {
        printf("%ld epochs in %.0f s, validation loss %.4g at the end\n", done, history[4 * done - 1],
               history[4 * done - 2]);
    }
    return done;
}

/* What follows a mixture network's training. With --start and --train-on that is all there is: the network learns how
   the labelled spectra differ from those it was trained on, from all but the test rows. */
static void after_training(const session *s, xray_net *net, const training_set *t) {
    size_t first = t->n_train;
    size_t n = t->n_val;
    char err[ERROR_SIZE];
    if (!net->mixture) {
        return;
    }
    if (s->opt->start && s->opt->train_on) {
        first = 0;
        n = t->n_train + t->n_val;
        if (xray_net_adjust(net, t->x, t->set.u, n, err)) {
            fail("%s", err);
        }
    }
    if (xray_net_calibrate(net, t->x + first * bml_nn_n_in(net->nn), t->set.u + first * (size_t)net->d, n, err)) {
        fail("%s", err);
    }
}

enum { TEST_DRAWS = 199 };

/* Mean of the network's draws for test row i, mean[d], and the truth's rank among them, rank[d]. */
static void test_row(bml_nn_real *mean, int *rank, const xray_net *net, const bml_nn_real *out, size_t n, size_t i,
                     const float *truth, bml_mcmc_rng *rng) {
    size_t d = (size_t)net->d;
    size_t n_out = bml_nn_n_out(net->nn);
    xray_mixture m = {.d = 0};
    double z[XRAY_MAX_FREE];
    if (net->mixture) {
        xray_net_mixture_of(&m, net, out + i * n_out);
    }
    memset(mean, 0, d * sizeof *mean);
    memset(rank, 0, d * sizeof *rank);
    double u;
    for (size_t j = 0; j < TEST_DRAWS; j++) {
        if (net->mixture) {
            xray_mixture_draw(z, &m, 1, rng);
        }
        for (size_t k = 0; k < d; k++) {
            u = net->mixture ? xray_normal_cdf(z[k]) : (double)out[(j * n + i) * n_out + k];
            mean[k] += (bml_nn_real)(u / TEST_DRAWS);
            rank[k] += u < (double)truth[k];
        }
    }
}

/* R^2 and mean squared error of the posterior means on the test rows, on the scale 0 to 1 of the prior, and coverage;
   printed. Returns the mean share of truths in the central 68 %. */
static double test_table(session *s, const xray_net *net, const training_set *t, double *r2_all, double *mse_all) {
    size_t first = t->n_train + t->n_val;
    size_t n = (size_t)fmin((double)t->n_test, (double)s->opt->test);
    size_t d = (size_t)net->d;
    size_t n_out = bml_nn_n_out(net->nn);
    bml_nn_real *mean = xray_alloc(n, d * sizeof *mean);
    bml_nn_real *out = xray_alloc(n, n_out * (net->mixture ? 1 : TEST_DRAWS) * sizeof *out);
    int *rank = xray_alloc(n, (d + 1) * sizeof *rank);
    int *column = rank ? rank + n * d : NULL;
    bml_nn_metrics metrics[XRAY_MAX_FREE + 1];
    const bml_nn_real *x = t->x + first * bml_nn_n_in(net->nn);
    const float *truth = t->set.u + first * d;
    double all = 0;
    if (!mean || !rank || !out) {
        fail("fit_xray train: out of memory");
    }
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, s->opt->seed, 14);
    int status = net->mixture ? bml_nn_predict(net->nn, NULL, out, x, n)
                              : bml_nn_draws(net->nn, NULL, out, x, n, TEST_DRAWS, s->opt->seed);
    if (status) {
        fail("fit_xray train: %s", bml_nn_strerror(status));
    }
    for (size_t i = 0; i < n; i++)
        test_row(mean + i * d, rank + i * d, net, out, n, i, truth + i * d, &rng);
    bml_nn_evaluate(metrics, mean, truth, n, d);
    printf("%-22s %10s %12s %12s   (%zu test spectra, parameters on 0...1)\n", "parameter", "R^2", "MSE", "in 68 %", n);
    for (size_t k = 0; k < d; k++) {
        double covered = 0;
        for (size_t i = 0; i < n; i++)
            column[i] = rank[i * d + k];
        double sd;
        bml_mcmc_coverage(&covered, &sd, column, (int)n, TEST_DRAWS, 0.68);
        all += covered / (double)d;
        printf("%-22s %10.4f %12.3g %12.3f\n", parameter_name(s, (int)k), metrics[k].r2, metrics[k].mse, covered);
    }
    printf("%-22s %10.4f %12.3g %12.3f\n", "all", metrics[d].r2, metrics[d].mse, all);
    *r2_all = metrics[d].r2;
    *mse_all = metrics[d].mse;
    free(mean);
    free(rank);
    free(out);
    return all;
}

/* The network to train: a new one, or --start's; it is told what it is for. */
static void begin_network(xray_net *net, session *s, int kind) {
    char prior[8192];
    char fixed[4096] = "";
    char err[ERROR_SIZE];
    const options *o = s->opt;
    prior_lines(prior, sizeof prior, s);
    for (int i = 0; i < o->fix.n; i++) {
        size_t used = strlen(fixed);
        snprintf(fixed + used, sizeof fixed - used, "%s\n", o->fix.item[i]);
    }
    if (o->start ? xray_net_read(net, o->start, err)
                 : xray_net_make(net, kind, s->data[0].n, s->fitter[0]->n_free, (int)o->units, (int)o->depth,
                                 o->dropout, (int)o->components, o->seed, err)) {
        fail("%s", err);
    }
    if (net->n_bin != s->data[0].n || net->d != s->fitter[0]->n_free || net->mixture != (kind == XRAY_MLP)) {
        fail("%.300s: a network of another kind, or for other bins or parameters", o->start);
    }
    if (xray_net_describe(net, &s->data[0], o->model, prior, fixed, o->statistic, o->absorption ? -1 : o->abundance,
                          err)) {
        fail("%s", err);
    }
}

/* What the network is worth: the share of truths in its intervals, and R^2 of its means. */
static void judge_training(verdict *v, double covered, double r2) {
    int honest = fabs(covered - 0.68) < 0.1;
    int learnt = r2 > 0.5;
    verdict_add(v, honest ? VERDICT_GREEN : VERDICT_YELLOW, "coverage", covered,
                "Central 68 %% intervals of the network hold %.0f %% of the test spectra's truths%s.", 100 * covered,
                honest ? "" : ": its widths need infer's resampling");
    verdict_add(v, learnt ? VERDICT_GREEN : VERDICT_YELLOW, "r2", r2, "R^2 of the means is %.3f%s.", r2,
                learnt ? "" : ": little is learnt: more spectra, more epochs, or narrower priors");
}

static int command_train(session *s, int kind) {
    training_set t = {.n_train = 0};
    char err[ERROR_SIZE];
    char folder[PATH_SIZE];
    const char *slash = strrchr(s->opt->out, '/');
    double r2 = 0;
    double mse = 0;
    long epochs = 0;
    need_prior(s);
    training_defaults(s->opt, kind);
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - s->opt->out) : 1, slash ? s->opt->out : ".");
    if (out_folder(folder, err)) {
        fail("%s", err);
    }
    if (s->n_data != 1 || s->opt->untie.n) {
        fail("fit_xray train: one spectrum at a time");
    }
    if (s->opt->n < 100) {
        fail("fit_xray train: --n %ld: at least 100 spectra are needed", s->opt->n);
    }
    xray_net net;
    begin_network(&net, s, kind);
    make_set(&t, s, &net);
    double *history;
    history = xray_alloc((size_t)s->opt->epochs + 1, 4 * sizeof *history);
    if (!history) {
        fail("fit_xray train: out of memory");
    }
    if (s->opt->epochs) {
        epochs = run_training(history, s, &net, &t);
    }
    after_training(s, &net, &t);
    double covered = test_table(s, &net, &t, &r2, &mse);
    int status = bml_nn_save(net.nn, s->opt->out, BML_NN_F32);
    if (status) {
        fail("%.300s: %s", s->opt->out, bml_nn_strerror(status));
    }
    if (epochs && (csv_write(folder, "history.csv", "epoch,loss,validation_loss,seconds", history, epochs, 4, err) ||
                   xray_plot_history(folder, history, epochs, !net.mixture, err))) {
        fail("%s", err);
    }
    verdict v = {0};
    judge_training(&v, covered, r2);
    verdict_data(&v, s);
    run_entry results[] = {{"r2", r2, NULL},
                           {"mse", mse, NULL},
                           {"epochs", (double)epochs, NULL},
                           {"training_seconds", epochs ? history[4 * epochs - 1] : 0, NULL},
                           {NULL, 0, NULL}};
    s->opt->out = folder;
    free(history);
    free(t.x);
    free(t.y);
    xray_set_free(&t.set);
    xray_net_free(&net);
    return finish(s, &v, results);
}
#endif
