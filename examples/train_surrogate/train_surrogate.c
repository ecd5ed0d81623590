/* train_surrogate: a network that stands in for the SSC solver, from the first spectrum to the model file.

     build/train_surrogate --out surrogate                      the net that fit_sed uses: some minutes
     build/train_surrogate --net gru --n 10000 --out gru        the recipe of Tzavellas et al. (2024, A&A 683, A185)
     build/train_surrogate --net gru --data sed_700.csv.gz --out athena      the same on another code's spectra
     build/train_surrogate --protons --out protons          photons and neutrinos of electrons and protons (protons.h)

   1. draw sources from the published ranges and solve them, or read spectra (make_data);
   2. cut them into training, validation and test rows, 80/10/10 (split);
   3. train: a published net on 500 values, or the residual net of surrogate.h on its nodes (train);
   4. measure every net on the test rows, as the paper's Table 3 does (evaluate), and write tables, pictures, model. */
#include "common.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#define BML_HADRON_IMPLEMENTATION
#include "bml_hadron.h"
#include "hadron_ssc.h"
#include "surrogate.h"
#include "proton_net.h"
#include "device.h"
#include "farm.h" /* mpirun: make MPI=yes */

enum { ANN, GRU, LSTM, MLP };
enum { TRAIN, VALIDATE, TEST };
enum { PUBLISHED_UNITS = 184, WIDTH = 192, BLOCKS = 3, NETS_MAX = 8 };

/* What each net is trained with, unless the options say otherwise. */
static const struct recipe {
    const char *name;
    long n, epochs, batch;
    double learning_rate;
} recipes[] = {{"ann", 10000, 220, 32, 1.7e-4},
               {"gru", 10000, 220, 32, 1.7e-4},
               {"lstm", 10000, 220, 32, 1.7e-4},
               {"mlp", 100000, 160, 128, 2e-3}};

typedef struct options {
    long n, epochs, threads;
    int grid, net, ssa, pairs, protons, quiet, device;
    uint64_t seed;
    option_list data, against, range;
    const char *out;
} options;

typedef struct dataset {
    long n, room;
    double (*row)[SSC_ROW]; /* [n] */
    float *y;               /* [n][SURROGATE_GRID] log10(x^2 n), at least surrogate_floor */
    float *x;               /* [n][n_in] what the network is told */
    float *target;          /* [n][n_out] what it is to say: y for the published nets */
    int *part;              /* [n] TRAIN, VALIDATE or TEST */
    int n_in, n_out;
} dataset;

static double grid_x(int k) {
    return -15 + 25.0 * k / (SURROGATE_GRID - 1);
}

static void *need(void *p) {
    if (!p) {
        fail("train_surrogate: out of memory");
    }
    return p;
}

/* ==== 1. data ===================================================================================================== */

/* A row of the published ranges: uniform, log gamma_max uniform in what gamma_min and the blob leave. */
static void draw_row(double *row, bml_nn_rng *rng) {
    const surrogate_domain *d = &published_domain;
    do {
        for (int k = 0; k < SSC_ROW; k++) {
            const double width = d->hi[k] - d->lo[k];
            row[k] = d->lo[k] + width * bml_nn_rng_uniform(rng);
        }
        const double lo = row[2] + d->span;
        const double hi = fmin(d->hi[3], ssc_row_confined(row));
        row[3] = lo + (hi - lo) * bml_nn_rng_uniform(rng);
    } while (surrogate_outside(d, row));
}

static void dataset_room(dataset *d, long n, int kind, int grid) {
    float input[SURROGATE_INPUTS];
    surrogate_frame f;
    d->n_in = surrogate_place(&f, input, kind, grid, published_domain.hi);
    d->n_out = surrogate_n_out(kind, grid);
    d->room = n;
    d->row = need(calloc((size_t)n, sizeof *d->row));
    d->y = need(calloc((size_t)n * SURROGATE_GRID, sizeof *d->y));
    d->x = need(calloc((size_t)n * (size_t)d->n_in, sizeof *d->x));
    d->part = need(calloc((size_t)n, sizeof *d->part));
    if (kind == SURROGATE_PLAIN) {
        d->target = d->y;
    } else {
        d->target = need(calloc((size_t)n * (size_t)d->n_out, sizeof *d->target));
    }
}

static void dataset_free(dataset *d) {
    if (d->target != d->y) {
        free(d->target);
    }
    free(d->row);
    free(d->y);
    free(d->x);
    free(d->part);
}

/* Solves row i and fills what belongs to it. */
static int solve_row(dataset *d, long i, bml_ssc_blob *blob, const options *opt, int kind) {
    bml_ssc_source source = {.pair_production = opt->pairs};
    float *spectrum = d->y + i * SURROGATE_GRID;
    double x[SURROGATE_GRID];
    double y[SURROGATE_GRID];
    bml_ssc_source_from_row(&source, d->row[i]);
    source.self_absorption = opt->ssa ? BML_SSC_SSA_HEATING : BML_SSC_SSA_OFF;
    const int status = bml_ssc_solve(blob, &source);
    if (status && status != BML_SSC_NOT_CONVERGED) {
        return status;
    }
    for (int k = 0; k < SURROGATE_GRID; k++)
        x[k] = grid_x(k);
    bml_ssc_spectrum(y, x, SURROGATE_GRID, blob, BML_SSC_TOTAL);
    for (int k = 0; k < SURROGATE_GRID; k++)
        spectrum[k] = (float)fmax(y[k], surrogate_floor);
    surrogate_frame f;
    surrogate_place(&f, d->x + i * d->n_in, kind, opt->grid, d->row[i]);
    if (kind == SURROGATE_MLP) {
        surrogate_nodes(d->target + i * d->n_out, blob, &f);
    }
    return 0;
}

/* All rows by the threads of this process. Returns how many could not be solved. */
static long solve_here(dataset *d, const options *opt, int kind, const bml_ssc *tables, progress_bar *bar) {
    const int threads = (int)opt->threads;
    long done = 0;
    long failed = 0;
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
#endif
    {
        bml_ssc_blob *blob = NULL;
        const int made = !bml_ssc_blob_create(&blob, tables, NULL);
#ifdef _OPENMP
#pragma omp for schedule(dynamic, 64)
#endif
        for (long i = 0; i < d->n; i++) {
            const int status = made ? solve_row(d, i, blob, opt, kind) : BML_SSC_NO_MEMORY;
#ifdef _OPENMP
#pragma omp critical
#endif
            {
                failed += status != 0;
                done++;
                if (done % 64 == 0) {
                    progress_at(bar, (double)done, NULL);
                }
            }
        }
        bml_ssc_blob_free(blob);
    }
    (void)threads;
    return failed;
}

/* What a rank of MPI needs to solve rows for another: a data set of one row. */
typedef struct solver {
    const options *opt;
    int kind;
    bml_ssc_blob *blob;
    dataset one;
} solver;

/* out[n][1 + 500 + n_in + n_out]: status, spectrum, input, target; in[n][6]. */
static void solve_for_others(double *out, const double *in, int n, void *user) {
    solver *s = user;
    dataset *d = &s->one;
    const int separate = d->target != d->y;
    for (int i = 0; i < n; i++, in += SSC_ROW) {
        memcpy(d->row[0], in, sizeof d->row[0]);
        *out++ = solve_row(d, 0, s->blob, s->opt, s->kind);
        for (int k = 0; k < SURROGATE_GRID; k++)
            *out++ = (double)d->y[k];
        for (int k = 0; k < d->n_in; k++)
            *out++ = (double)d->x[k];
        for (int k = 0; k < d->n_out; k++)
            *out++ = separate ? (double)d->target[k] : 0;
    }
}

/* A result of solve_for_others to row i. */
static long unpack(dataset *d, long i, const double *from) {
    const long failed = *from++ != 0;
    for (int k = 0; k < SURROGATE_GRID; k++)
        d->y[i * SURROGATE_GRID + k] = (float)*from++;
    for (int k = 0; k < d->n_in; k++)
        d->x[i * d->n_in + k] = (float)*from++;
    for (int k = 0; k < d->n_out && d->target != d->y; k++)
        d->target[i * d->n_out + k] = (float)*from++;
    return failed;
}

/* All rows by all ranks; the others do nothing else, and end here. */
static long solve_shared(dataset *d, const options *opt, int kind, const bml_ssc *tables, progress_bar *bar) {
    enum { CHUNK = 4096, BLOCK = 8 };
    solver s = {.opt = opt, .kind = kind};
    char why[BML_SSC_MESSAGE];
    long failed = 0;
    if (bml_ssc_blob_create(&s.blob, tables, why)) {
        fail("train_surrogate: %s", why);
    }
    dataset_room(&s.one, 1, kind, opt->grid);
    const int wide = 1 + SURROGATE_GRID + d->n_in + d->n_out;
    farm others = {.n_in = SSC_ROW, .n_out = wide, .block = BLOCK, .work = solve_for_others, .user = &s};
    if (farm_rank() > 0) {
        farm_serve(&others);
        farm_end();
        exit(0);
    }
    double *out = need(malloc(CHUNK * (size_t)wide * sizeof *out));
    for (long from = 0; from < d->n; from += CHUNK) {
        const long left = d->n - from;
        const int n = (int)(left < CHUNK ? left : CHUNK);
        const int status = farm_map(out, d->row[from], n, &others);
        if (status) {
            fail("train_surrogate: %s", farm_strerror(status));
        }
        for (int i = 0; i < n; i++)
            failed += unpack(d, from + i, out + (size_t)i * (size_t)wide);
        progress_at(bar, (double)(from + n), NULL);
    }
    farm_dismiss();
    free(out);
    dataset_free(&s.one);
    bml_ssc_blob_free(s.blob);
    return failed;
}

static void solve_data(dataset *d, const options *opt, int kind) {
    const bml_ssc_config config = {.grid = opt->grid ? BML_SSC_ATHENA : BML_SSC_CONVERGED};
    dataset_room(d, opt->n, kind, opt->grid);
    d->n = opt->n;
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, opt->seed, 0);
    for (long i = 0; i < d->n; i++)
        draw_row(d->row[i], &rng);
    bml_ssc *tables;
    char why[BML_SSC_MESSAGE];
    if (bml_ssc_create(&tables, &config, why)) {
        fail("train_surrogate: %s", why);
    }
    progress_bar bar;
    progress_begin(&bar, "solving", (double)d->n, opt->quiet);
    const int shared = farm_ranks() > 1;
    const long failed = shared ? solve_shared(d, opt, kind, tables, &bar) : solve_here(d, opt, kind, tables, &bar);
    progress_end(&bar);
    bml_ssc_free(tables);
    if (failed) {
        fail("train_surrogate: %ld of %ld sources could not be solved", failed, d->n);
    }
}

/* The text of a file, through gzip when its name ends so. */
static void open_table(text_file *t, const char *path) {
    char err[ERROR_SIZE];
    const size_t length = strlen(path);
    if (length < 3 || strcmp(path + length - 3, ".gz")) {
        if (text_open(t, path, err)) {
            fail("%s", err);
        }
        return;
    }
    size_t size = 0;
    size_t room = 1 << 20;
    char *text = need(malloc(room));
    int ends[2];
    int status = 0;
    if (pipe(ends)) {
        fail("%s: %s", path, strerror(errno));
    }
    const pid_t child = fork();
    if (child == 0) {
        const int quiet = open("/dev/null", O_WRONLY);
        dup2(ends[1], 1);
        if (quiet >= 0) {
            dup2(quiet, 2); /* what gzip would say is said below */
        }
        close(ends[0]);
        close(ends[1]);
        execlp("gzip", "gzip", "-dc", "--", path, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *f = need(fdopen(ends[0], "rb"));
    size_t got;
    while ((got = fread(text + size, 1, room - size, f)) > 0) {
        size += got;
        if (size > TEXT_MAX) {
            fail("%s: too large", path);
        }
        if (size == room) {
            text = need(realloc(text, room *= 2));
        }
    }
    fclose(f);
    if (child < 0 || waitpid(child, &status, 0) < 0 || status) {
        fail("%s: gzip cannot read it", path);
    }
    if (text_copy(t, text, size, path, err)) {
        fail("%s", err);
    }
    free(text);
}

/* Rows of six parameters and 500 values; a first line of column names is skipped. */
static void read_table(dataset *d, const char *path) {
    enum { COLUMNS = SSC_ROW + SURROGATE_GRID };
    static char *field[COLUMNS + 1];
    text_file t;
    open_table(&t, path);
    char *line;
    while ((line = text_line(&t)) != NULL) {
        line = trim(line);
        const int names = t.line == 1 && !strncmp(line, "log10_R", 7);
        if (!*line || *line == '#' || names) {
            continue;
        }
        const int n = split(field, COLUMNS + 1, line, ',');
        if (n != COLUMNS) {
            fail("%s:%ld: %d columns, expected %d: six parameters and %d values", t.name, t.line, n, (int)COLUMNS,
                 (int)SURROGATE_GRID);
        }
        if (d->n == d->room) {
            d->room = d->room ? 2 * d->room : 1024;
            d->row = need(realloc(d->row, (size_t)d->room * sizeof *d->row));
            d->y = need(realloc(d->y, (size_t)d->room * SURROGATE_GRID * sizeof *d->y));
        }
        for (int k = 0; k < n; k++) {
            double value;
            const char *wrong = read_real(&value, field[k]);
            if (wrong) {
                fail("%s:%ld: column %d: '%.40s' %s", t.name, t.line, k + 1, field[k], wrong);
            }
            if (k < SSC_ROW) {
                d->row[d->n][k] = value;
            } else {
                d->y[d->n * SURROGATE_GRID + k - SSC_ROW] = (float)fmax(value, surrogate_floor);
            }
        }
        d->n++;
    }
    text_close(&t);
}

enum { SPECTRA_MIN = 30 }; /* three to validate and three to test */

static void make_data(dataset *d, const options *opt, int kind) {
    memset(d, 0, sizeof *d);
    if (!opt->data.n) {
        solve_data(d, opt, kind);
        return;
    }
    for (int i = 0; i < opt->data.n; i++)
        read_table(d, opt->data.item[i]);
    if (d->n < SPECTRA_MIN) {
        fail("train_surrogate: %ld spectra are too few", d->n);
    }
    d->n_in = SSC_ROW;
    d->n_out = SURROGATE_GRID;
    d->x = need(malloc((size_t)d->n * SSC_ROW * sizeof *d->x));
    d->part = need(calloc((size_t)d->n, sizeof *d->part));
    d->target = d->y;
    for (long i = 0; i < d->n * SSC_ROW; i++)
        d->x[i] = (float)d->row[i / SSC_ROW][i % SSC_ROW];
}

/* All that belongs to row i, to row `at` of another set. */
static void copy_row(dataset *to, long at, const dataset *d, long i) {
    const size_t spectrum = SURROGATE_GRID * sizeof *d->y;
    const size_t input = (size_t)d->n_in * sizeof *d->x;
    const size_t target = (size_t)d->n_out * sizeof *d->target;
    memcpy(to->row[at], d->row[i], sizeof *d->row);
    memcpy(to->y + at * SURROGATE_GRID, d->y + i * SURROGATE_GRID, spectrum);
    memcpy(to->x + at * d->n_in, d->x + i * d->n_in, input);
    if (d->target != d->y) {
        memcpy(to->target + at * d->n_out, d->target + i * d->n_out, target);
    }
    to->part[at] = d->part[i];
}

/* Sorts the rows into training, validation and test part, each together; first [4] is where they begin. */
static void split_data(dataset *d, long *first, uint64_t seed) {
    static const double shares[3] = {0.8, 0.1, 0.1};
    dataset to = *d;
    const size_t n = (size_t)d->n;
    if (bml_nn_split(d->part, shares, 3, NULL, n, seed)) {
        fail("train_surrogate: out of memory");
    }
    to.row = need(malloc(n * sizeof *to.row));
    to.y = need(malloc(n * SURROGATE_GRID * sizeof *to.y));
    to.x = need(malloc(n * (size_t)d->n_in * sizeof *to.x));
    to.part = need(malloc(n * sizeof *to.part));
    to.target = to.y;
    if (d->target != d->y) {
        to.target = need(malloc(n * (size_t)d->n_out * sizeof *to.target));
    }
    long at = 0;
    for (int part = TRAIN; part <= TEST; part++) {
        first[part] = at;
        for (long i = 0; i < d->n; i++) {
            if (d->part[i] == part) {
                copy_row(&to, at, d, i);
                at++;
            }
        }
    }
    first[3] = at;
    dataset_free(d);
    *d = to;
}

/* ==== 2. networks ================================================================================================= */

/* Layers of 184 that are linear (six: with seven the published 0.26 million weights would be 0.30), GRU or LSTM (seven), then
   500 values; the six parameters come as a sequence of six numbers to the recurrent ones (Tzavellas et al. 2024, Table 2). */
static int published_layers(bml_nn_layer *l, int net) {
    static const int kinds[] = {BML_NN_DENSE, BML_NN_GRU, BML_NN_LSTM};
    static const int depth[] = {6, 7, 7};
    int n = 0;
    l[n++] = (bml_nn_layer){.kind = BML_NN_INPUT, .features = SSC_ROW};
    if (net != ANN) {
        l[n++] = (bml_nn_layer){.kind = BML_NN_RESHAPE, .steps = SSC_ROW, .features = 1};
    }
    for (int k = 0; k < depth[net]; k++) {
        const int last = k + 1 == depth[net];
        l[n] = (bml_nn_layer){.kind = kinds[net], .units = PUBLISHED_UNITS};
        l[n++].sequence = net != ANN && !last;
    }
    l[n++] = (bml_nn_layer){.kind = BML_NN_DENSE, .units = SURROGATE_GRID, .activation = BML_NN_SOFTPLUS};
    return n;
}

/* A dense layer, then blocks h + W2 silu(W1 h) of one width. */
static int residual_layers(bml_nn_layer *l, const dataset *d) {
    static char name[BLOCKS + 1][2][8];
    int n = 0;
    l[n++] = (bml_nn_layer){.kind = BML_NN_INPUT, .features = d->n_in};
    snprintf(name[0][0], sizeof name[0][0], "h0");
    l[n++] = (bml_nn_layer){.kind = BML_NN_DENSE, .name = name[0][0], .units = WIDTH, .activation = BML_NN_SILU};
    for (int b = 1; b <= BLOCKS; b++) {
        const char *before = name[b - 1][0];
        char *sum = name[b][0];
        char *branch = name[b][1];
        snprintf(sum, sizeof name[b][0], "h%d", b);
        snprintf(branch, sizeof name[b][1], "f%d", b);
        l[n++] = (bml_nn_layer){.kind = BML_NN_DENSE, .units = WIDTH, .activation = BML_NN_SILU};
        l[n++] = (bml_nn_layer){.kind = BML_NN_DENSE, .name = branch, .units = WIDTH};
        l[n++] = (bml_nn_layer){.kind = BML_NN_ADD, .name = sum, .from = {before, branch}};
    }
    l[n++] = (bml_nn_layer){.kind = BML_NN_DENSE, .units = d->n_out};
    return n;
}

/* Each node's mean over the training rows that it rules. */
static void node_means(float *mean, const dataset *d, long n) {
    for (int k = 0; k < d->n_out; k++) {
        double sum = 0;
        long count = 0;
        for (long i = 0; i < n; i++) {
            const float t = d->target[i * d->n_out + k];
            if (t < SURROGATE_BOUND / 2) {
                sum += (double)t;
                count++;
            }
        }
        mean[k] = (float)(count ? sum / (double)count : surrogate_floor);
    }
}

static void make_net(surrogate *s, const dataset *d, const options *opt, long n_train) {
    bml_nn_layer layers[32];
    float shift[SURROGATE_NODES];
    float scale[SURROGATE_NODES];
    const int n = s->kind == SURROGATE_MLP ? residual_layers(layers, d) : published_layers(layers, opt->net);
    const bml_nn_config config = {.layers = layers, .n_layers = n, .seed = opt->seed};
    char why[BML_NN_MESSAGE];
    int status = bml_nn_create(&s->net, &config, why);
    if (status) {
        fail("train_surrogate: %s: %s", bml_nn_strerror(status), why);
    }
    if (s->kind == SURROGATE_MLP) { /* in dex, about the mean of each node */
        node_means(shift, d, n_train);
        for (int k = 0; k < d->n_out; k++)
            scale[k] = 1;
        if (!status) {
            status = bml_nn_fit_scaler(s->net, BML_NN_INPUTS, BML_NN_STANDARD, d->x, (size_t)n_train);
        }
    } else { /* [-30, 0] becomes [0, 1], as published */
        for (int k = 0; k < d->n_out; k++) {
            shift[k] = (float)surrogate_floor;
            scale[k] = (float)-surrogate_floor;
        }
    }
    if (!status) {
        status = bml_nn_set_scaler(s->net, BML_NN_OUTPUTS, shift, scale);
    }
    if (status) {
        fail("train_surrogate: %s: %s", bml_nn_strerror(status), bml_nn_message(s->net));
    }
}

/* Of a prediction in dex; below a bound there is none. */
static float node_miss(float prediction, float target) {
    if (target < SURROGATE_BOUND / 2) {
        return prediction - target;
    }
    const float bound = target - SURROGATE_BOUND;
    return prediction > bound ? prediction - bound : 0;
}

/* Mean square in dex; a bound (surrogate_nodes) counts only when it is passed. */
static double node_loss(const bml_nn_batch *b, void *user) {
    const size_t all = (size_t)b->n * b->n_out;
    const double share = 1 / (double)all;
    double sum = 0;
    (void)user;
    for (size_t i = 0; i < all; i++) {
        const float miss = node_miss(b->prediction[i], b->target[i]);
        sum += (double)(miss * miss);
        b->gradient[i] = 2 * miss * (float)share;
    }
    return sum * share;
}

typedef struct history {
    double (*row)[5]; /* epoch, loss, validation loss, learning rate, gradient norm */
    long n;
    progress_bar bar;
} history;

static int note_epoch(const bml_nn_epoch *e, void *user) {
    history *h = user;
    char note[80];
    const double row[5] = {e->epoch, e->loss, e->val_loss, e->learning_rate, e->gradient_norm};
    memcpy(h->row[h->n++], row, sizeof row);
    snprintf(note, sizeof note, "loss %.2e, validation %.2e", e->loss, e->val_loss);
    progress_at(&h->bar, e->epoch, note);
    return 0;
}

static void train(surrogate *s, history *h, const dataset *d, const long *first, const options *opt,
                  const device *card) {
    const struct recipe *r = &recipes[opt->net];
    const int mlp = s->kind == SURROGATE_MLP;
    bml_nn_training how = {.x = d->x,
                           .y = d->target,
                           .n = (size_t)(first[VALIDATE]),
                           .x_val = d->x + first[VALIDATE] * d->n_in,
                           .y_val = d->target + first[VALIDATE] * d->n_out,
                           .n_val = (size_t)(first[TEST] - first[VALIDATE]),
                           .loss = mlp ? BML_NN_CUSTOM : BML_NN_MSLE,
                           .loss_fn = mlp ? node_loss : NULL,
                           .learning_rate = r->learning_rate,
                           .schedule = mlp ? BML_NN_COSINE : BML_NN_CONSTANT,
                           .warmup = mlp ? 200 : 0,
                           .clip = mlp ? 0.3 : 0, /* a norm of 0.1 is usual: this stops the rare leap */
                           .batch = (int)r->batch,
                           .epochs = (int)opt->epochs,
                           .threads = (int)opt->threads,
                           .block = mlp ? 32 : 16,
                           .seed = opt->seed,
                           .callback = note_epoch,
                           .user = h};
    h->row = need(calloc((size_t)opt->epochs, sizeof *h->row));
    progress_begin(&h->bar, "training", (double)opt->epochs, opt->quiet);
    int status = BML_NN_OK;
    if (device_ready(card)) {
        device_train(card, s->net, &how, NULL);
    } else {
        status = bml_nn_train(s->net, &how, NULL);
    }
    progress_end(&h->bar);
    if (status) {
        fail("train_surrogate: %s: %s", bml_nn_strerror(status), bml_nn_message(s->net));
    }
}

/* ==== 3. evaluation =============================================================================================== */

enum { R2, MSE, MAE, KS, DTW, NEAR, ROUGH, N_METRICS };
static const struct metric {
    const char *name, *unit, *what;
} metrics[N_METRICS] = {{"R2", "", "1 - residual/total sum of squares over the 500 values of a spectrum"},
                        {"MSE", "dex^2", "mean squared error"},
                        {"MAE", "dex", "mean absolute error"},
                        {"KS", "", "two-sample Kolmogorov-Smirnov distance of the 500 values"},
                        {"DTW", "dex", "dynamic time warping, no window"},
                        {"near", "dex", "median absolute error within 6 dex of the peak"},
                        {"rough", "dex", "rms second difference within 6 dex of the peak"}};

/* A net as it was measured: metric [n_test][N_METRICS], curve [n_test][SURROGATE_GRID]. */
typedef struct measured {
    const char *name;
    surrogate *s;
    double *metric;
    float *curve;
    double microseconds; /* a spectrum, in batches of 24 on one core */
} measured;

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Quantile q of one metric over the spectra. */
static double over_spectra(const double *metric, long n, int which, double q) {
    double *v = need(malloc((size_t)n * sizeof *v));
    for (long i = 0; i < n; i++)
        v[i] = metric[i * N_METRICS + which];
    qsort(v, (size_t)n, sizeof *v, ascending);
    const double at = q * (double)(n - 1);
    const double low = v[(long)at];
    const double high = v[(long)ceil(at)];
    free(v);
    return low + (at - floor(at)) * (high - low);
}

static double roughness(const float *y, const float *truth, int points, float peak) {
    double sum = 0;
    long n = 0;
    for (int k = 1; k + 1 < points; k++) {
        const float least = fminf(truth[k], fminf(truth[k - 1], truth[k + 1]));
        if (!(least > peak - 6)) {
            continue;
        }
        const double bend = (double)y[k - 1] - 2 * (double)y[k] + (double)y[k + 1];
        sum += bend * bend;
        n++;
    }
    return n ? sqrt(sum / (double)n) : 0;
}

/* The metrics of one spectrum: y against truth, both [points], at most SURROGATE_GRID. */
static void measure_one(double *m, const float *y, const float *truth, int points) {
    double mean = 0;
    double total = 0;
    double squares = 0;
    double sum = 0;
    double near_by[SURROGATE_GRID];
    float peak = truth[0];
    int n = 0;
    for (int k = 0; k < points; k++) {
        mean += (double)truth[k] / points;
        if (truth[k] > peak) {
            peak = truth[k];
        }
    }
    for (int k = 0; k < points; k++) {
        const double miss = (double)y[k] - (double)truth[k];
        const double off = (double)truth[k] - mean;
        squares += miss * miss;
        total += off * off;
        sum += fabs(miss);
        if (truth[k] > peak - 6) {
            near_by[n++] = fabs(miss);
        }
    }
    qsort(near_by, (size_t)n, sizeof *near_by, ascending);
    m[R2] = 1 - squares / total;
    m[MSE] = squares / points;
    m[MAE] = sum / points;
    m[NEAR] = 0.5 * (near_by[(n - 1) / 2] + near_by[n / 2]);
    m[ROUGH] = roughness(y, truth, points, peak);
    const size_t all = (size_t)points;
    int status = bml_nn_ks(&m[KS], y, all, truth, all);
    status = status || bml_nn_dtw(&m[DTW], y, all, truth, all);
    if (status) {
        fail("train_surrogate: out of memory");
    }
}

/* Of this process. */
static double processor_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Spectra of n rows as a fitter asks for them: in batches, everything included. Returns seconds of one thread. */
static double predict_all(float *curve, const surrogate *s, double (*row)[SSC_ROW], long n) {
    enum { BATCH = 24 };
    float input[BATCH * SURROGATE_INPUTS];
    float *node = need(malloc(BATCH * SURROGATE_NODES * sizeof *node));
    surrogate_frame f[BATCH];
    bml_nn_work *work;
    char why[BML_NN_MESSAGE];
    if (bml_nn_work_create(&work, s->net, BATCH, 1, why)) {
        fail("train_surrogate: %s", why);
    }
    const size_t n_in = bml_nn_n_in(s->net);
    const size_t n_out = bml_nn_n_out(s->net);
    const double begin = processor_seconds();
    for (long from = 0; from < n; from += BATCH) {
        const long left = n - from;
        const int count = (int)(left < BATCH ? left : BATCH);
        for (int i = 0; i < count; i++)
            surrogate_place(&f[i], input + (size_t)i * n_in, s->kind, s->grid, row[from + i]);
        if (bml_nn_predict(s->net, work, node, input, (size_t)count)) {
            fail("train_surrogate: out of memory");
        }
        for (int i = 0; i < count; i++)
            surrogate_spectrum(curve + (from + i) * SURROGATE_GRID, s, &f[i], node + (size_t)i * n_out);
    }
    const double taken = processor_seconds() - begin;
    bml_nn_work_free(work);
    free(node);
    return taken;
}

static void measure(measured *m, surrogate *s, const char *name, const dataset *d, const long *first) {
    const long n = first[3] - first[TEST];
    const float *truth = d->y + first[TEST] * SURROGATE_GRID;
    m->name = name;
    m->s = s;
    m->metric = need(malloc((size_t)n * N_METRICS * sizeof *m->metric));
    m->curve = need(malloc((size_t)n * SURROGATE_GRID * sizeof *m->curve));
    const double seconds = predict_all(m->curve, s, d->row + first[TEST], n);
    m->microseconds = 1e6 * seconds / (double)n;
    for (long i = 0; i < n; i++) {
        const long at = i * SURROGATE_GRID;
        measure_one(m->metric + i * N_METRICS, m->curve + at, truth + at, SURROGATE_GRID);
    }
}

/* Of a spectrum on SURROGATE_GRID. */
static float peak_of(const float *y) {
    float peak = y[0];
    for (int k = 1; k < SURROGATE_GRID; k++)
        peak = y[k] > peak ? y[k] : peak;
    return peak;
}

/* The truth against itself: how rough it is. */
static void measure_truth(measured *m, const dataset *d, const long *first) {
    const long n = first[3] - first[TEST];
    memset(m, 0, sizeof *m);
    m->name = "truth";
    m->metric = need(malloc((size_t)n * N_METRICS * sizeof *m->metric));
    for (long i = 0; i < n; i++) {
        const float *truth = d->y + (first[TEST] + i) * SURROGATE_GRID;
        measure_one(m->metric + i * N_METRICS, truth, truth, SURROGATE_GRID);
    }
}

/* The net's own error: rms over held-out spectra within 6 dex of their peaks, in bins about log10 x = -15, -14.75, ...
   A bin with few values takes its neighbour's. */
static void learn_error(surrogate *s, const measured *m, const dataset *d, const long *first) {
    double sum[SURROGATE_ERRORS] = {0};
    long count[SURROGATE_ERRORS] = {0};
    long n = first[3] - first[TEST];
    for (long i = 0; i < n; i++) {
        const float *truth = d->y + (first[TEST] + i) * SURROGATE_GRID;
        const float *y = m->curve + i * SURROGATE_GRID;
        const float peak = peak_of(truth);
        for (int k = 0; k < SURROGATE_GRID; k++) {
            const int bin = (int)((grid_x(k) + 15) / 0.25 + 0.5);
            const double miss = (double)y[k] - (double)truth[k];
            if (truth[k] > peak - 6) {
                sum[bin] += miss * miss;
                count[bin]++;
            }
        }
    }
    for (int b = 0, last = 0; b < SURROGATE_ERRORS; b++) {
        if (count[b] >= 20) {
            last = b;
        }
        s->error[b] = (float)(count[last] ? sqrt(sum[last] / (double)count[last]) : 0);
    }
}

/* what: of which values. */
static void print_table(const measured *m, int n_nets, long n, const char *what) {
    printf("medians over %ld test spectra, %s\n", n, what);
    printf("%-12s %10s %9s %9s %8s %8s %9s %9s %9s %8s\n", "net", "R2", "MSE", "MAE", "KS", "DTW", "near", "near 99%",
           "rough", "us each");
    for (int j = 0; j < n_nets; j++) {
        double v[N_METRICS];
        for (int k = 0; k < N_METRICS; k++)
            v[k] = over_spectra(m[j].metric, n, k, 0.5);
        const double near_99 = over_spectra(m[j].metric, n, NEAR, 0.99);
        printf("%-12s %10.7f %9.2e %9.2e ", m[j].name, v[R2], v[MSE], v[MAE]);
        printf("%8.4f %8.4f %9.5f %9.5f %9.5f ", v[KS], v[DTW], v[NEAR], near_99, v[ROUGH]);
        if (m[j].s) {
            printf("%8.1f\n", m[j].microseconds);
        } else {
            printf("%8s\n", "-");
        }
    }
}

/* Which net is, the first of equals, of spectrum i by one metric. */
static int best_net(const measured *m, int n_nets, long i, int which) {
    const double sign = which == R2 ? -1 : 1;
    double least = sign * m[0].metric[i * N_METRICS + which];
    int best = 0;
    for (int k = 1; k < n_nets; k++) {
        const double value = sign * m[k].metric[i * N_METRICS + which];
        if (value < least) {
            least = value;
            best = k;
        }
    }
    return best;
}

/* Of how many test spectra each net is the best. The last row of m is the truth and does not take part. */
static void print_ranking(const measured *m, int n_nets, long n) {
    static const int of[] = {R2, MSE, MAE, KS, DTW};
    printf("best of the nets, %% of test spectra\n%-12s", "net");
    for (int c = 0; c < 5; c++)
        printf(" %8s", metrics[of[c]].name);
    printf("\n");
    for (int j = 0; j < n_nets; j++) {
        printf("%-12s", m[j].name);
        for (int c = 0; c < 5; c++) {
            long wins = 0;
            for (long i = 0; i < n; i++)
                wins += best_net(m, n_nets, i, of[c]) == j;
            printf(" %8.1f", 100.0 * (double)wins / (double)n);
        }
        printf("\n");
    }
}

/* ==== 4. files and pictures ======================================================================================= */

static void write_history(const options *opt, const history *h) {
    const char *columns = "epoch,loss,validation_loss,learning_rate,gradient_norm";
    char err[ERROR_SIZE];
    if (csv_write(opt->out, "history.csv", columns, h->row[0], h->n, 5, err)) {
        fail("%s", err);
    }
}

static void write_error(const options *opt, const surrogate *s) {
    double error[SURROGATE_ERRORS][2];
    char err[ERROR_SIZE];
    for (int b = 0; b < SURROGATE_ERRORS; b++) {
        error[b][0] = -15 + 0.25 * b;
        error[b][1] = (double)s->error[b];
    }
    if (csv_write(opt->out, "error.csv", "log10_x,rms_dex", error[0], SURROGATE_ERRORS, 2, err)) {
        fail("%s", err);
    }
}

/* test.csv: all metrics of each net on each test spectrum. */
static void write_metrics(const options *opt, const measured *m, int n_nets, long n) {
    char err[ERROR_SIZE];
    out_file o;
    if (out_begin(&o, opt->out, "test.csv", err)) {
        fail("%s", err);
    }
    fprintf(o.f, "spectrum,net");
    for (int k = 0; k < N_METRICS; k++)
        fprintf(o.f, ",%s", metrics[k].name);
    fprintf(o.f, "\n");
    for (long i = 0; i < n; i++)
        for (int j = 0; j < n_nets; j++) {
            fprintf(o.f, "%ld,", i);
            csv_text(o.f, m[j].name);
            for (int k = 0; k < N_METRICS; k++)
                fprintf(o.f, ",%.6g", m[j].metric[i * N_METRICS + k]);
            fprintf(o.f, "\n");
        }
    if (out_commit(&o, err)) {
        fail("%s", err);
    }
}

static void begin_plot(out_file *o, const options *opt, const char *name, int width, int height, int font) {
    char err[ERROR_SIZE];
    if (plot_begin(o, opt->out, name, width, height, font, err)) {
        fail("%s", err);
    }
}

/* Returns what plot_end does. */
static int end_plot(out_file *o, const options *opt, const char *name) {
    char err[ERROR_SIZE];
    const int drawn = plot_end(o, opt->out, name, err);
    if (drawn < 0) {
        fail("%s", err);
    }
    return drawn;
}

static int draw_history(const options *opt, const history *h) {
    out_file o;
    begin_plot(&o, opt, "history", 900, 600, 14);
    fprintf(o.f, "$h << EOD\n");
    for (long i = 0; i < h->n; i++)
        fprintf(o.f, "%g %g %g\n", h->row[i][0], h->row[i][1], h->row[i][2]);
    fprintf(
        o.f,
        "EOD\nset logscale y; set format y '10^{%%L}'; set xlabel 'epoch'; set ylabel 'loss'; set grid\n"
        "plot $h u 1:2 w l lw 2 lc rgb '#0072B2' t 'training', $h u 1:3 w l lw 2 lc rgb '#D55E00' t 'validation'\n");
    return end_plot(&o, opt, "history");
}

/* Nine test spectra with the nets over them, and under each what the nets miss. */
static int draw_spectra(const options *opt, const measured *m, int n_nets, const dataset *d, const long *first) {
    enum { ACROSS = 3, PANELS = 9 };
    out_file o;
    const long n = first[3] - first[TEST];
    begin_plot(&o, opt, "spectra", 1500, 1200, 12);
    for (int p = 0; p < PANELS && p < n; p++) {
        const float *truth = d->y + (first[TEST] + p) * SURROGATE_GRID;
        fprintf(o.f, "$p%d << EOD\n", p);
        for (int k = 0; k < SURROGATE_GRID; k++) {
            fprintf(o.f, "%.4f %.4f", grid_x(k), (double)truth[k]);
            for (int j = 0; j < n_nets; j++)
                fprintf(o.f, " %.4f", (double)m[j].curve[p * SURROGATE_GRID + k]);
            fprintf(o.f, "\n");
        }
        fprintf(o.f, "EOD\n");
    }
    fprintf(o.f,
            "set multiplot layout 3,%d\nset grid; set xrange [-15:10]; set key left bottom samplen 2\n"
            "set xlabel 'log_{10} x'; set ylabel 'log_{10} x^2 n'\n",
            (int)ACROSS);
    for (int p = 0; p < PANELS && p < n; p++) {
        const double peak = (double)peak_of(d->y + (first[TEST] + p) * SURROGATE_GRID);
        fprintf(o.f, "set yrange [%g:%g]\n", floor(peak) - 12, ceil(peak) + 1);
        fprintf(o.f, "plot $p%d u 1:2 w l lw 5 lc rgb '#bbbbbb' t 'truth'", p);
        for (int j = 0; j < n_nets; j++) {
            fprintf(o.f, ", $p%d u 1:%d w l lw 1.5 lc rgb '%s' t ", p, j + 3, plot_colours[j % 7]);
            plot_text(o.f, m[j].name);
            fprintf(o.f, " noenhanced");
        }
        fprintf(o.f, "\nunset key\n");
    }
    fprintf(o.f, "unset multiplot\n");
    return end_plot(&o, opt, "spectra");
}

/* How rough the curves are: the share of test spectra below each rms second difference. The last of m is the truth. */
static int draw_roughness(const options *opt, const measured *m, int n_rows, long n) {
    out_file o;
    begin_plot(&o, opt, "roughness", 900, 600, 14);
    for (int j = 0; j < n_rows; j++) {
        fprintf(o.f, "$r%d << EOD\n", j);
        for (int q = 0; q <= 200; q++) {
            const double share = q / 200.0;
            fprintf(o.f, "%g %g\n", over_spectra(m[j].metric, n, ROUGH, share), share);
        }
        fprintf(o.f, "EOD\n");
    }
    fprintf(
        o.f,
        "set logscale x; set format x '10^{%%L}'; set grid; set key left top\n"
        "set xlabel 'rms second difference within 6 dex of the peak [dex]'; set ylabel 'share of test spectra'\nplot ");
    for (int j = 0; j < n_rows; j++) {
        const char *colour = m[j].s ? plot_colours[j % 7] : "#888888";
        const char *comma = j ? ", " : "";
        fprintf(o.f, "%s$r%d u 1:2 w l lw 2 lc rgb '%s' t ", comma, j, colour);
        plot_text(o.f, m[j].name);
        fprintf(o.f, " noenhanced");
    }
    fprintf(o.f, "\n");
    return end_plot(&o, opt, "roughness");
}

static void write_run(const options *opt, const option_row *rows, const measured *m, long n, double seconds) {
    char err[ERROR_SIZE];
    run_entry results[N_METRICS + 6] = {{0}};
    int k;
    for (k = 0; k < N_METRICS; k++)
        results[k] = (run_entry){metrics[k].name, over_spectra(m->metric, n, k, 0.5), NULL};
    results[k++] = (run_entry){"near_99", over_spectra(m->metric, n, NEAR, 0.99), NULL};
    results[k++] = (run_entry){"test_spectra", (double)n, NULL};
    results[k++] = (run_entry){"weights", (double)bml_nn_n_params(m->s->net), NULL};
    results[k++] = (run_entry){"microseconds_a_spectrum", m->microseconds, NULL};
    const run_info run = {.program = "train_surrogate",
                          .options = rows,
                          .input = opt->data.n ? opt->data.item[0] : NULL,
                          .seed = opt->seed,
                          .seconds = seconds,
                          .results = results};
    if (run_write(opt->out, &run, err)) {
        fail("%s", err);
    }
}

#include "protons.h"

/* ==== main ======================================================================================================== */

/* Measures the net, those it is compared with, and the truth's own roughness; writes all. */
static int report(surrogate *s, const options *opt, const option_row *rows, const dataset *d, const long *first,
                  const history *h, double begin) {
    static surrogate other[NETS_MAX];
    measured m[NETS_MAX + 2];
    const long n = first[3] - first[TEST];
    int n_nets = 1;
    char err[ERROR_SIZE];
    char path[PATH_SIZE];
    measure(&m[0], s, recipes[opt->net].name, d, first);
    learn_error(s, &m[0], d, first);
    for (int i = 0; i < opt->against.n && i < NETS_MAX; i++) {
        if (surrogate_load(&other[i], opt->against.item[i], err)) {
            fail("%s", err);
        }
        const int same_grid = !opt->data.n && other[i].grid == opt->grid;
        if (other[i].kind == SURROGATE_MLP && !same_grid) {
            fail("%s: was trained on another grid than these spectra", opt->against.item[i]);
        }
        measure(&m[n_nets], &other[i], opt->against.item[i], d, first);
        n_nets++;
    }
    measure_truth(&m[n_nets], d, first);
    print_table(m, n_nets + 1, n, "log10(x^2 n) clipped at -30");
    if (n_nets > 1) {
        print_ranking(m, n_nets, n);
    }
    write_history(opt, h);
    write_error(opt, s);
    write_metrics(opt, m, n_nets, n);
    int drawn = draw_history(opt, h);
    drawn |= draw_spectra(opt, m, n_nets, d, first);
    drawn |= draw_roughness(opt, m, n_nets + 1, n);
    snprintf(path, sizeof path, "%s/model.safetensors", opt->out);
    if (surrogate_save(s, path, err)) {
        fail("%s", err);
    }
    const double taken = seconds_now() - begin; /* s */
    const size_t weights = bml_nn_n_params(s->net);
    const char *note = drawn ? "; no gnuplot here: pictures are left as scripts" : "";
    write_run(opt, rows, m, n, taken);
    printf("%zu weights; %.0f s; model in %s%s\n", weights, taken, path, note);
    for (int j = 0; j <= n_nets; j++) {
        free(m[j].metric);
        if (m[j].s) {
            free(m[j].curve);
        }
    }
    for (int i = 0; i < opt->against.n; i++)
        surrogate_free(&other[i]);
    return 0;
}

/* What the options leave open, and what does not go together. */
static void settle(options *opt) {
    const struct recipe *r = &recipes[opt->net];
    if (opt->n == 0) {
        opt->n = opt->protons ? PROTON_SPECTRA : r->n;
    }
    if (opt->epochs == 0) {
        opt->epochs = r->epochs;
    }
    opt->threads = threads_or_all(opt->threads);
    if (!opt->data.n && opt->n < SPECTRA_MIN) {
        fail("train_surrogate: %ld spectra are too few", opt->n);
    }
    if (opt->data.n && opt->net == MLP) {
        fail("train_surrogate: --data: the net 'mlp' learns the solver's components; tables are for ann, gru and lstm");
    }
    if (opt->protons && (opt->data.n || opt->net != MLP || opt->grid)) {
        fail("train_surrogate: --protons goes with --net mlp and --grid converged, without --data");
    }
    if (opt->range.n && !opt->protons) {
        fail("train_surrogate: --range needs --protons");
    }
    if (opt->protons && farm_ranks() > 1) {
        fail("train_surrogate: --protons does not share its work among ranks of MPI");
    }
    if (opt->against.n > NETS_MAX) {
        fail("train_surrogate: --against: %d files at most", (int)NETS_MAX);
    }
}

static options opt = {.net = MLP, .seed = 1, .out = "surrogate"};

static const option_row rows[] = {
    {.name = "n",
     .integer = &opt.n,
     .min = 0,
     .max = 1e8,
     .value = "N",
     .help = "spectra to solve; 0: 10000, mlp 100000"},
    {
        .name = "grid",
        .choice = &opt.grid,
        .value = "converged|athena",
        .help = "energy grid of the solver",
    },
    {
        .name = "ssa",
        .flag = &opt.ssa,
        .help = "synchrotron self-absorption",
    },
    {.name = "protons",
     .flag = &opt.protons,
     .help = "protons beside the electrons, with pairs; learns neutrinos, too; --n 0: 20000"},
    {.name = "range",
     .list = &opt.range,
     .value = "NAME=LO:HI",
     .help = "with --protons: draw a parameter from there, log_l_e=-5:-3; repeatable"},
    {
        .name = "gg",
        .flag = &opt.pairs,
        .help = "photon-photon absorption and pair injection",
    },
    {.name = "data",
     .list = &opt.data,
     .value = "FILE",
     .help = "spectra to read instead, CSV, perhaps .gz; repeatable"},
    {
        .name = "net",
        .choice = &opt.net,
        .value = "ann|gru|lstm|mlp",
        .help = "published recipes, or our own",
    },
    {
        .name = "epochs",
        .integer = &opt.epochs,
        .min = 0,
        .max = 1e6,
        .value = "N",
        .help = "0: 220, mlp 160",
    },
    {
        .name = "against",
        .list = &opt.against,
        .value = "FILE",
        .help = "other models, measured on the same test rows",
    },
    {
        .name = "seed",
        .natural = &opt.seed,
        .value = "S",
        .help = "of data, split and net: same seed, same result",
    },
    {
        .name = "threads",
        .integer = &opt.threads,
        .min = 0,
        .max = 1024,
        .value = "N",
        .help = "0: all cores",
    },
    DEVICE_OPTION(&opt.device),
    {
        .name = "quiet",
        .flag = &opt.quiet,
        .help = "no progress bar",
    },
    {
        .name = "out",
        .text = &opt.out,
        .value = "DIR",
        .help = "folder for the model, tables and pictures",
    },
    {0}};

int main(int argc, char **argv) {
    const int first_argument =
        options_parse(argc, argv, rows, "train_surrogate [options]",
                      "Trains a network that stands in for the SSC solver: six parameters (log10 R [cm], log10 B [G],\n"
                      "log10 gamma_min, log10 gamma_max, log10 l_e, p) to log10(x^2 n), x = h nu/(m_e c^2).\n"
                      "fit_sed --model DIR/model.safetensors uses it.");
    wait_passively(); /* starts the program again: before MPI */
    if (farm_begin(&argc, &argv)) {
        fail("train_surrogate: %s", farm_strerror(FARM_NO_MPI));
    }
    if (farm_hush()) {
        return 1;
    }
    const double begin = seconds_now();
    char err[ERROR_SIZE];
    surrogate s = {0};
    history h = {0};
    long first[4];
    if (argc != first_argument) {
        fail("train_surrogate: no argument expected, see --help");
    }
    settle(&opt);
    device card;
    device_open(&card, opt.device, "train_surrogate");
    if (farm_ranks() > 1 && opt.data.n) {
        fail("train_surrogate: ranks of MPI share the solver's work; --data has none");
    }
    if (farm_rank() == 0 && out_folder(opt.out, err)) {
        fail("%s", err);
    }
    if (opt.protons) {
        const int learned = protons_learn(&opt, rows, &card, begin);
        device_close(&card);
        farm_end();
        return learned;
    }
    s.kind = opt.net == MLP ? SURROGATE_MLP : SURROGATE_PLAIN;
    s.grid = opt.grid ? BML_SSC_ATHENA : BML_SSC_CONVERGED;
    s.self_absorption = opt.ssa;
    s.pair_production = opt.pairs;
    s.domain = published_domain;
    surrogate_blend_table(&s);
    dataset d;
    make_data(&d, &opt, s.kind);
    split_data(&d, first, opt.seed);
    make_net(&s, &d, &opt, first[VALIDATE]);
    train(&s, &h, &d, first, &opt, &card);
    device_close(&card);
    const int status = report(&s, &opt, rows, &d, first, &h, begin);
    dataset_free(&d);
    surrogate_free(&s);
    free(h.row);
    farm_end();
    return status;
}
