/* test_nn_gradients.c: every derivative of bml_nn.h, in double, against central differences.

   The difference of a smooth function at step h has an error of h^2 f'''/6 + eps f/h: with h = 1e-5 and numbers of order one
   that is some 1e-10, and 1e-6 of the largest derivative is asked for. Points near a kink (ReLU and the like) are no
   fault of the gradient: there the two one-sided differences disagree by more than that, and such a point is left out, and counted. */
#define BML_NN_DOUBLE
#undef BML_NN_IMPLEMENTED /* what lies inside is tested, too */
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#include "check.h"
#include <string.h>

enum { ROWS = 5, MAX_IN = 64, MAX_OUT = 64 };
static unsigned long seed;

typedef struct problem {
    bml_nn *net;
    bml_nn_training how;
    double x[ROWS * MAX_IN], y[ROWS * MAX_OUT];
} problem;

static void fill(double *a, size_t n, bml_nn_rng *rng, double low, double high) {
    for (size_t i = 0; i < n; i++)
        a[i] = low + (high - low) * bml_nn_rng_uniform(rng);
}

/* A loss of the user's own: sum over rows of (p0 - x0)^2 + sin(p), averaged. */
static double own_loss(const bml_nn_batch *b, void *user) {
    double loss = 0;
    (void)user;
    for (int i = 0; i < b->n; i++)
        for (size_t j = 0; j < b->n_out; j++) {
            double p = b->prediction[(size_t)i * b->n_out + j];
            double d = j ? 0 : p - b->x[(size_t)i * b->n_in];
            loss += (d * d + sin(p)) / b->n;
            b->gradient[(size_t)i * b->n_out + j] = (2 * d + cos(p)) / b->n;
        }
    return loss;
}

/* Loss of the whole batch in training mode (dropout, Flipout and batch norm at work, always with the same noise), and its
   gradient in the first lane, by the trainer's own inner functions. */
static double loss_of(bml_nn_trainer *t) {
    ptrdiff_t rows[ROWS];
    for (int i = 0; i < ROWS; i++)
        rows[i] = i;
    bml_nn_batch batch = bml_nn__run_batch(t, t->how.x, t->how.y, rows, ROWS, BML_NN__TRAIN);
    double weight;
    double value = bml_nn__loss(&weight, &t->how, &batch);
    int block = bml_nn__block_of(t, ROWS);
    int blocks = (ROWS + block - 1) / block;
    for (int i = 0; i < blocks; i++) {
        bml_nn__gradient_rows(t->net, &t->lanes[i], t->gradient + t->lanes[i].first * t->net->n_out);
        bml_nn__backward(t->net, &t->lanes[i]);
    }
    return value + bml_nn__collect(t, blocks);
}

/* |g - d| over the largest |g|, d by central differences at w; a kink gives -1. */
static double mismatch(double g, double minus, double middle, double plus, double h, double scale) {
    double left = (middle - minus) / h;
    double right = (plus - middle) / h;
    if (fabs(left - right) > 1e-3 * scale) return -1;
    return fabs(g - 0.5 * (left + right)) / scale;
}

static void check_params(problem *p, const char *name) {
    bml_nn_trainer *t;
    double worst = 0;
    double scale = 1e-3;
    size_t n = bml_nn_n_params(p->net);
    size_t kinks = 0;
    char why[BML_NN_MESSAGE];
    int status = bml_nn_trainer_create(&t, p->net, &p->how, why);
    CHECK(status == 0, "%s: trainer (%s)", name, why);
    if (status) return;
    double *g;
    g = (double *)malloc(n * sizeof *g);
    double middle = loss_of(t);
    memcpy(g, t->lanes[0].grad, n * sizeof *g);
    for (size_t i = 0; i < n; i++)
        scale = fabs(g[i]) > scale ? fabs(g[i]) : scale;
    for (size_t i = 0; i < n; i++) {
        double w = p->net->params[i];
        double h = 1e-5;
        p->net->params[i] = w + h;
        double plus = loss_of(t);
        p->net->params[i] = w - h;
        double minus = loss_of(t);
        p->net->params[i] = w;
        double m = mismatch(g[i], minus, middle, plus, h, scale);
        if (m < 0)
            kinks++;
        else
            worst = m > worst || m != m ? m : worst;
    }
    CHECK(worst <= 1e-6 && kinks * 50 <= n, "%s: %d weights, worst %.2g of the largest derivative %.2g, %d at a kink",
          name, (int)n, worst, scale, (int)kinks);
    free(g);
    bml_nn_trainer_free(t);
}

/* Whether number `column` of a row is a length, which has no derivative. */
static int is_length(const bml_nn *net, ptrdiff_t column) {
    int found = 0;
    for (int i = 0; i < net->n_nodes; i++)
        found |= net->nodes[i].holds_lengths && net->nodes[i].input_offset == column;
    return found;
}

static void check_inputs(problem *p, const char *name) {
    size_t in = bml_nn_n_in(p->net);
    size_t out = bml_nn_n_out(p->net);
    size_t kinks = 0;
    double dx[ROWS * MAX_IN];
    double dy[ROWS * MAX_OUT];
    double y[ROWS * MAX_OUT];
    double worst = 0;
    double scale = 1e-3;
    double sums[3];
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, seed, 99);
    fill(dy, ROWS * out, &rng, -1, 1);
    if (bml_nn_vjp(p->net, NULL, dx, y, dy, p->x, ROWS)) {
        CHECK(0, "%s: vjp", name);
        return;
    }
    for (size_t i = 0; i < ROWS * in; i++)
        scale = fabs(dx[i]) > scale ? fabs(dx[i]) : scale;
    for (size_t i = 0; i < ROWS * in; i++) {
        double x = p->x[i];
        double h = 1e-5;
        if (is_length(p->net, (ptrdiff_t)(i % in))) continue;
        for (int k = 0; k < 3; k++) {
            p->x[i] = x + (k - 1) * h;
            bml_nn_predict(p->net, NULL, y, p->x, ROWS);
            sums[k] = 0;
            for (size_t j = 0; j < ROWS * out; j++)
                sums[k] += dy[j] * y[j];
        }
        p->x[i] = x;
        double m = mismatch(dx[i], sums[0], sums[1], sums[2], h, scale);
        if (m < 0)
            kinks++;
        else
            worst = m > worst || m != m ? m : worst;
    }
    CHECK(worst <= 1e-6 && kinks * 20 <= ROWS * in, "%s: by the inputs, worst %.2g of %.2g, %d at a kink", name, worst,
          scale, (int)kinks);
}

/* A net of these layers, weights moved off their start (biases are zero there), random data, one loss. */
static void check_net(const char *name, const bml_nn_layer *layers, int n, int loss, double low, double high) {
    static const double class_weights[MAX_OUT] = {0.5, 2, 1, 3, 1};
    static double weights[ROWS] = {1, 0.5, 2, 0.25, 1};
    bml_nn_config config = {layers, n, seed};
    problem p = {0};
    char why[BML_NN_MESSAGE];
    int status = bml_nn_create(&p.net, &config, why);
    CHECK(status == 0, "%s: created (%s)", name, why);
    if (!status) {
        bml_nn_rng rng;
        bml_nn_rng_init(&rng, seed, 7);
        fill(p.x, ROWS * bml_nn_n_in(p.net), &rng, -1.5, 1.5);
        for (ptrdiff_t i = 0; i < ROWS * p.net->n_in; i++)
            if (is_length(p.net, i % p.net->n_in)) p.x[i] = (double)(1 + i / p.net->n_in);
        fill(p.y, ROWS * bml_nn_n_out(p.net), &rng, low, high);
        for (ptrdiff_t i = 0; bml_nn__by_row(loss) && i < ROWS; i++) { /* shares of classes */
            double *y = p.y + i * p.net->n_out;
            double sum = 0;
            for (ptrdiff_t j = 0; j < p.net->n_out; j++)
                sum += y[j];
            for (ptrdiff_t j = 0; j < p.net->n_out; j++)
                y[j] /= sum;
        }
        for (ptrdiff_t i = 0; i < p.net->n_params; i++)
            p.net->params[i] += 0.3 * (bml_nn_rng_uniform(&rng) - 0.5);
        for (ptrdiff_t i = 0; i < p.net->n_running; i++)
            p.net->running[i] += bml_nn_rng_uniform(&rng);
        p.how.x = p.x;
        p.how.y = loss == BML_NN_CUSTOM ? NULL : p.y;
        p.how.n = ROWS;
        p.how.loss = loss;
        p.how.loss_fn = own_loss;
        p.how.batch = ROWS;
        p.how.block = 2;
        p.how.l2 = 0.01;
        p.how.seed = seed;
        p.how.weights = weights;
        if (bml_nn__by_row(loss) || bml_nn__is_binary(loss)) p.how.class_weights = class_weights;
        check_params(&p, name);
        check_inputs(&p, name);
    }
    bml_nn_free(p.net);
}

static void check_layers(void) {
    const bml_nn_layer in = {.kind = BML_NN_INPUT, .features = 4};
    const bml_nn_layer sequence = {.kind = BML_NN_INPUT, .steps = 5, .features = 3};
    const bml_nn_layer end = {.kind = BML_NN_DENSE, .units = 3};
    const bml_nn_layer flat = {.kind = BML_NN_FLATTEN};
    static const char *const names[] = {"linear",   "relu", "leaky_relu", "tanh",     "sigmoid",
                                        "softplus", "silu", "gelu",       "hardtanh", "softmax"};
    char name[96];
    for (int a = 0; a < BML_NN_N_ACTIVATIONS; a++) {
        bml_nn_layer l[] = {in, {.kind = BML_NN_DENSE, .units = 6, .activation = a}, end};
        bml_nn_layer c[] = {sequence, {.kind = BML_NN_CONV, .units = 4, .kernel = 3, .activation = a}, flat, end};
        snprintf(name, sizeof name, "dense %s", names[a]);
        check_net(name, l, 3, BML_NN_MSE, -1, 1);
        snprintf(name, sizeof name, "conv %s", names[a]);
        check_net(name, c, 4, BML_NN_MSE, -1, 1);
    }
    for (int kind = BML_NN_GRU; kind <= BML_NN_RNN; kind++)
        for (int way = 0; way < 8; way++) { /* reset before, sequence, bidirectional */
            bml_nn_layer l[] = {sequence,
                                {.kind = kind,
                                 .units = 4,
                                 .reset_before = way & 1,
                                 .sequence = way >> 1 & 1,
                                 .bidirectional = way >> 2},
                                flat,
                                end};
            if ((way & 1) && kind != BML_NN_GRU) continue;
            snprintf(name, sizeof name, "%s%s%s%s",
                     kind == BML_NN_GRU    ? "gru"
                     : kind == BML_NN_LSTM ? "lstm"
                                           : "rnn",
                     way & 1 ? ", reset before" : "", way & 2 ? ", sequence" : "", way & 4 ? ", bidirectional" : "");
            check_net(name, l, 4, BML_NN_MSE, -1, 1);
        }
    for (int kind = BML_NN_GRU; kind <= BML_NN_RNN; kind++)
        for (int way = 0; way < 16;
             way++) { /* sequence, bidirectional, no bias, two biases or reset before; with lengths */
            bml_nn_layer l[] = {{.kind = BML_NN_INPUT, .name = "x", .steps = 5, .features = 2},
                                {.kind = BML_NN_INPUT, .name = "n", .features = 1},
                                {.kind = kind,
                                 .from = {"x"},
                                 .lengths = "n",
                                 .units = 3,
                                 .sequence = way & 1,
                                 .bidirectional = way >> 1 & 1,
                                 .no_bias = way >> 2 & 1,
                                 .two_biases = kind != BML_NN_GRU && way >> 3,
                                 .reset_before = kind == BML_NN_GRU && way >> 3},
                                flat,
                                end};
            if (kind != BML_NN_GRU && way >> 2 == 3) continue;
            snprintf(name, sizeof name, "kind %d, way %d, padded", kind, way);
            check_net(name, l, 5, BML_NN_MSE, -1, 1);
        }
    bml_nn_layer bare[] = {{.kind = BML_NN_INPUT, .steps = 5, .features = 3},
                           {.kind = BML_NN_CONV, .units = 4, .kernel = 2, .activation = BML_NN_TANH, .no_bias = 1},
                           {.kind = BML_NN_BATCH_NORM, .epsilon = 0.1, .momentum = 0.5},
                           flat,
                           {.kind = BML_NN_LAYER_NORM, .epsilon = 0.2},
                           {.kind = BML_NN_DENSE, .units = 3, .no_bias = 1}};
    check_net("no biases, norms with large epsilon", bare, 6, BML_NN_MSE, -1, 1);
    bml_nn_layer relu[] = {sequence, {.kind = BML_NN_RNN, .units = 4, .activation = BML_NN_RELU}, end};
    bml_nn_layer stack[] = {sequence,
                            {.kind = BML_NN_GRU, .units = 4, .sequence = 1},
                            {.kind = BML_NN_LSTM, .units = 3, .sequence = 1},
                            {.kind = BML_NN_DENSE, .units = 3, .activation = BML_NN_TANH},
                            {.kind = BML_NN_RNN, .units = 2},
                            end};
    bml_nn_layer same[] = {
        sequence,
        {.kind = BML_NN_CONV, .units = 4, .kernel = 4, .stride = 2, .same = 1, .activation = BML_NN_TANH},
        flat,
        end};
    bml_nn_layer pool[] = {sequence,
                           {.kind = BML_NN_CONV, .units = 4, .kernel = 2, .activation = BML_NN_TANH},
                           {.kind = BML_NN_POOL},
                           flat,
                           end};
    bml_nn_layer overlap[] = {
        sequence, {.kind = BML_NN_POOL, .kernel = 3, .stride = 1}, {.kind = BML_NN_RESHAPE, .features = 9}, end};
    bml_nn_layer batch[] = {in,
                            {.kind = BML_NN_DENSE, .units = 5},
                            {.kind = BML_NN_BATCH_NORM},
                            {.kind = BML_NN_DENSE, .units = 3, .activation = BML_NN_TANH},
                            end};
    bml_nn_layer batch_sequence[] = {
        sequence, {.kind = BML_NN_RNN, .units = 4, .sequence = 1}, {.kind = BML_NN_BATCH_NORM}, flat, end};
    bml_nn_layer layer[] = {
        sequence, {.kind = BML_NN_RNN, .units = 4, .sequence = 1}, {.kind = BML_NN_LAYER_NORM}, flat, end};
    bml_nn_layer drop[] = {
        sequence, {.kind = BML_NN_RNN, .units = 6, .sequence = 1}, {.kind = BML_NN_DROPOUT, .rate = 0.3},
        flat,     {.kind = BML_NN_DROPOUT, .rate = 0.2},           end};
    bml_nn_layer bayes[] = {in,
                            {.kind = BML_NN_BAYES, .units = 5, .activation = BML_NN_GELU, .prior_sd = 0.7},
                            {.kind = BML_NN_BAYES, .units = 3}};
    bml_nn_layer bayes_sequence[] = {
        sequence, {.kind = BML_NN_BAYES, .units = 4, .activation = BML_NN_TANH}, {.kind = BML_NN_GRU, .units = 3}, end};
    bml_nn_layer reshape[] = {{.kind = BML_NN_INPUT, .features = 12},
                              {.kind = BML_NN_RESHAPE, .steps = 4, .features = 3},
                              {.kind = BML_NN_LSTM, .units = 3, .sequence = 1}};
    check_net("rnn relu", relu, 3, BML_NN_MSE, -1, 1);
    check_net("stack of recurrent and dense", stack, 6, BML_NN_MSE, -1, 1);
    check_net("conv same, stride 2", same, 4, BML_NN_MSE, -1, 1);
    check_net("conv and pool", pool, 5, BML_NN_MSE, -1, 1);
    check_net("overlapping pool", overlap, 4, BML_NN_MSE, -1, 1);
    check_net("batch norm", batch, 5, BML_NN_MSE, -1, 1);
    check_net("batch norm of a sequence", batch_sequence, 5, BML_NN_MSE, -1, 1);
    check_net("layer norm", layer, 5, BML_NN_MSE, -1, 1);
    check_net("dropout", drop, 6, BML_NN_MSE, -1, 1);
    check_net("Flipout", bayes, 3, BML_NN_MSE, -1, 1);
    check_net("Flipout on a sequence", bayes_sequence, 4, BML_NN_MSE, -1, 1);
    check_net("a sequence out", reshape, 3, BML_NN_MSE, -1, 1);
}

/* Two inputs, branches that meet, a layer used twice, and every loss. */
static void check_losses(void) {
    static const struct {
        const char *name;
        int loss, activation;
        double low, high;
    } cases[] = {{"MSE", BML_NN_MSE, BML_NN_LINEAR, -1, 1},
                 {"MSLE", BML_NN_MSLE, BML_NN_SOFTPLUS, 0, 3},
                 {"MAE", BML_NN_MAE, BML_NN_LINEAR, 3, 4},
                 {"binary", BML_NN_BINARY, BML_NN_SIGMOID, 0, 1},
                 {"binary, logits", BML_NN_BINARY_LOGITS, BML_NN_LINEAR, 0, 1},
                 {"categorical", BML_NN_CATEGORICAL, BML_NN_SOFTMAX, 0, 1},
                 {"categorical, logits", BML_NN_CATEGORICAL_LOGITS, BML_NN_LINEAR, 0, 1},
                 {"one's own", BML_NN_CUSTOM, BML_NN_TANH, 0, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bml_nn_layer l[] = {
            {.kind = BML_NN_INPUT, .name = "numbers", .features = 4},
            {.kind = BML_NN_INPUT, .name = "curve", .steps = 6, .features = 2},
            {.kind = BML_NN_DENSE, .name = "a", .from = {"numbers"}, .units = 5, .activation = BML_NN_TANH},
            {.kind = BML_NN_GRU, .name = "b", .from = {"curve"}, .units = 4, .bidirectional = 1},
            {.kind = BML_NN_CONV, .name = "c", .from = {"curve"}, .units = 3, .kernel = 3, .activation = BML_NN_SILU},
            {.kind = BML_NN_FLATTEN, .name = "d"},
            {.kind = BML_NN_CONCAT, .name = "meet", .from = {"a", "b", "d", "numbers"}},
            {.kind = BML_NN_DENSE, .name = "e", .units = 6, .activation = BML_NN_SIGMOID},
            {.kind = BML_NN_DENSE, .name = "f", .units = 6, .activation = BML_NN_SILU},
            {.kind = BML_NN_DENSE, .name = "g", .units = 6},
            {.kind = BML_NN_ADD, .name = "sum", .from = {"e", "f", "g"}},
            {.kind = BML_NN_CONCAT, .name = "again", .from = {"sum", "a"}},
            {.kind = BML_NN_DENSE, .name = "out", .units = 3, .activation = cases[i].activation}};
        char name[64];
        snprintf(name, sizeof name, "branched net, %s", cases[i].name);
        check_net(name, l, 13, cases[i].loss, cases[i].low, cases[i].high);
    }
}

/* Scalers are part of the derivative: in the user's units. */
static void check_scaled(void) {
    bml_nn_layer l[] = {{.kind = BML_NN_INPUT, .features = 4},
                        {.kind = BML_NN_DENSE, .units = 6, .activation = BML_NN_TANH},
                        {.kind = BML_NN_DENSE, .units = 3}};
    bml_nn_config config = {l, 3, seed};
    problem p = {0};
    double y[ROWS * 3];
    bml_nn_create(&p.net, &config, NULL);
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, seed, 3);
    fill(p.x, ROWS * 4, &rng, -1, 1);
    fill(y, ROWS * 3, &rng, 50, 60);
    CHECK(bml_nn_fit_scaler(p.net, BML_NN_INPUTS, BML_NN_STANDARD, p.x, ROWS) == 0, "input scaler");
    CHECK(bml_nn_fit_scaler(p.net, BML_NN_OUTPUTS, BML_NN_MIN_MAX, y, ROWS) == 0, "output scaler");
    check_inputs(&p, "scaled net");
    bml_nn_free(p.net);
}

/* Targets that are equal have no R^2, though three times 0.1, divided by three, is not 0.1. */
static void check_flat(void) {
    const double flat[3] = {0.1, 0.1, 0.1};
    const double p[3] = {1, 2, 3};
    bml_nn_metrics m[2];
    bml_nn_evaluate(m, p, flat, 3, 1);
    CHECK(isnan(m[0].r2) && isnan(m[1].r2), "equal targets have no R^2: %g", m[0].r2);
    bml_nn_evaluate(m, p, flat, 1, 1);
    CHECK(isnan(m[0].r2), "nor has one target");
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
    check_layers();
    check_losses();
    check_scaled();
    check_flat();
    return check_done();
}
