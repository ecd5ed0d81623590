/* bml_nn.h - neural networks that train, infer and say how sure they are, in one file of C.

   Dense, recurrent (GRU, LSTM), convolutional, residual and branched networks with dropout, normalisation and Bayesian layers;
   training with validation and early stopping; draws for uncertainties; gradients for samplers; safetensors files.

       #define BML_NN_IMPLEMENTATION      (in exactly one .c or .cpp file)
       #include "bml_nn.h"

   A complete program, a network that learns a sine:

       #include <math.h>
       #include <stdio.h>
       #define BML_NN_IMPLEMENTATION
       #include "bml_nn.h"
       int main(void) {
           float x[256], y[256], at = 1.0f, out;
           bml_nn_layer layers[] = { { .kind = BML_NN_INPUT, .features = 1 },
                                     { .kind = BML_NN_DENSE, .units = 32, .activation = BML_NN_TANH },
                                     { .kind = BML_NN_DENSE, .units = 1 } };
           bml_nn_config config = { .layers = layers, .n_layers = 3 };
           bml_nn_training how = { .x = x, .y = y, .n = 256, .epochs = 300, .learning_rate = 1e-2 };
           bml_nn *net;
           char why[BML_NN_MESSAGE];
           int status = bml_nn_create(&net, &config, why);
           for (int i = 0; i < 256; i++) y[i] = sinf(x[i] = -3.0f + 6.0f * (float)i / 255.0f);
           if (!status) status = bml_nn_train(net, &how, NULL);
           if (!status) status = bml_nn_predict(net, NULL, &out, &at, 1);
           if (status) printf("%s: %s\n", bml_nn_strerror(status), net ? bml_nn_message(net) : why);
           else printf("sin(1) is about %.3f\n", (double)out);
           bml_nn_free(net);
           return status != 0;
       }

   It refuses: shapes that do not fit, a layer that is not used, NaN in the data, a learning rate that is negative or
   infinite, a loss that turns NaN (the last good weights stay), and any file that is not exactly the network it claims
   to be.
   Link with -lm. No threads unless compiled with OpenMP, no globals, no clock: the same seed gives the same network. */

/* SETUP, USE, SHUTDOWN

   1. Write the layers as an array, inputs first; each takes the one before it, or those that it names in `from`.
   2. bml_nn_create(&net, &config, why). A refused configuration gives no net, and char why[BML_NN_MESSAGE] says which
      layer and what is wrong. bml_nn_summary(text, size, net) prints the layers, their shapes and numbers of parameters.
   3. Optional: bml_nn_fit_scaler(net, BML_NN_INPUTS, BML_NN_STANDARD, x, n), the same for BML_NN_OUTPUTS. From then on
      training and prediction take and give your units; the scaling travels in the model file.
   4. bml_nn_train(net, &training, &result); or, to stop and resume, bml_nn_trainer_create, _run, _save, _load, _free.
   5. bml_nn_predict(net, work, y, x, n). work = NULL makes a workspace for that one call; in a loop make one, once:
      bml_nn_work_create(&work, net, rows, threads, why). A const net serves many threads, each with its own work.
      bml_nn_draws for Monte Carlo dropout and Bayesian weights, bml_nn_vjp and bml_nn_gradient for derivatives.
   6. bml_nn_save(net, path, BML_NN_F32), bml_nn_load(&net, path, why); bml_nn_free.

   A row x is the inputs of the net one after another, in the order of its INPUT layers, n_in numbers in all; an input
   that is a sequence is stored step by step, [steps][features]. A row y is the output of the last layer, n_out numbers.

   OPTIONS

   BML_NN_IMPLEMENTATION         this file gives the functions, not only their declarations
   BML_NN_STATIC                 all functions static (define with the above)
   BML_NN_MALLOC(n), BML_NN_REALLOC(p, n), BML_NN_FREE(p)     all three or none; default: the C library's
   BML_NN_DOUBLE                 bml_nn_real is double, for checks of gradients; define it wherever the header is
                                 included
   BML_NN_USE_CBLAS              large matrix products through cblas (OpenBLAS: called with one thread; the threads are
                                 ours)
   Compile with -O3 -march=native: the built-in product and the gates are written for vector registers.

   MATHEMATICS

   B rows of a batch, T steps, C features in, U units out, row vectors; * is the elementwise product, s() the logistic
   function.
   - dense      y = act(x W + b), W [C][U]; on a sequence, at each step.
   - GRU        z = s(x Wz + h Rz + bz), r = s(x Wr + h Rr + br), h' = z * h + (1-z) * n, with
                n = tanh(x Wn + bn + r * (h Rn + cn))     reset after the product (cuDNN, PyTorch, Keras' default), or
                n = tanh(x Wn + (r * h) Rn + bn)          reset before it, .reset_before = 1
                (Cho et al. 2014, arXiv:1406.1078). Gates stored in the order z, r, n; two rows of biases in the first
                variant, one in the second.
   - LSTM       i, f, o = s(...), g = tanh(...), c' = f * c + i * g, h' = o * tanh(c'); order i, f, g, o
                (Hochreiter & Schmidhuber 1997, Neural Comput. 9, 1735, with forget gates; these start with bias 1)
   - RNN        h' = act(x W + h R + b), tanh or ReLU
   - bidirectional: the same cell run from the last step to the first, with its own weights, beside the forward one:
                outputs [forward, backward]; without .sequence the two ends, so that both halves have seen everything.
   - conv       y_t = act(sum_k x_{t S + k} W_k + b), W [K][C][U], stride S; `same` pads with zeros so that T' =
                ceil(T/S).
   - pool       maximum over windows of K steps, stride K unless given, no padding.
   - batch norm y = gamma (x - m)/sqrt(v + eps) + beta over all rows and steps of a batch; at inference with running
                means, new = 0.9 old + 0.1 batch, unbiased variance (Ioffe & Szegedy 2015, arXiv:1502.03167; eps = 1e-5).
   - layer norm the same over the features of one row and step (Ba et al. 2016, arXiv:1607.06450).
   - dropout    y = x m/(1-rate), m = 1 with probability 1-rate, in training and in draws (Srivastava et al. 2014).
   - add        the sum of its sources, all of one shape: h + f(h) makes a residual block (He et al. 2016,
                arXiv:1512.03385).
   - Bayes      dense with weights W ~ N(M, sd^2), sd = log(1 + e^rho), bias alike. In training a perturbation dW ~ N(0,
                sd^2) is shared by the batch and decorrelated by random signs per row: y = x M + ((x * s) dW) * r
                (Flipout: Wen et al. 2018, arXiv:1803.04386, eq. 4). The loss gains kl_weight/n times
                KL = sum [ ln(p/sd) + (sd^2 + M^2)/(2 p^2) - 1/2 ], p = prior_sd, n = number of training rows
                (Blundell et al. 2015, arXiv:1505.05424). That is the evidence bound when the loss is the mean negative
                log likelihood of a row. With MSE and noise sd e set kl_weight = 2 e^2 (for one output; over n_out
                outputs the mean divides by n_out: 2 e^2/n_out).
   Start: uniform Glorot & Bengio (2010) for W, orthogonal for R (Saxe et al. 2014), zero for biases; .init = BML_NN_HE
   for ReLU nets (He et al. 2015). Bayes: sd starts at 0.05 of the Glorot spread.

   Losses, mean over rows (weighted by w_i c_i, sample and class weight, divided by their sum) and outputs:
   - MSE (p-y)^2; MAE |p-y|; MSLE [ln(1+max(p,0)) - ln(1+max(y,0))]^2
   - binary cross-entropy -y ln p - (1-y) ln(1-p), p within 1e-7 of 0 and 1 held there, with the slope it has
     there; _LOGITS: p = s(z), from z, no overflow
   - categorical cross-entropy -sum_k y_k ln p_k, summed over outputs, y one-hot or shares; _LOGITS: from z through
     log-softmax
   - your own: value and gradient from the predictions of a whole batch.
   Optimisers as PyTorch defines them: SGD with momentum v = m v + g; RMSprop (0.99); Adam (0.9, 0.999, eps 1e-8 added
   to the square root; Kingma & Ba 2015, arXiv:1412.6980); AdamW: Adam after w -= rate decay w (Loshchilov & Hutter
   2019, arXiv:1711.05101).
   L2 adds l2 sum W^2 over weights (no biases, no normalisation) to the loss, 2 l2 W to the gradient.

   Monte Carlo dropout (Gal & Ghahramani 2016, arXiv:1506.02142) is not a calibrated posterior: its width is set by the
   rate. Test it by coverage before you publish it. Bayesian layers are a mean-field approximation: too narrow where
   weights correlate.

   Error of the float functions: exp <= 2 ulp, tanh, logistic and log1p <= 3 ulp (tested); exp is held at 1.6e-38 below
   x = -87 and at 1.7e38 above 88, and the logistic function, which uses it, at 6e-39. In double they are the
   C library's.
   Same seed, same result, on any number of threads: a batch is cut into blocks of fixed size, each block's gradient is
   made by one thread, and they are added in order. Another compiler or machine rounds differently.
   When NOT to use it: images, transformers, millions of rows times millions of weights; there a GPU framework is right. */
#ifndef BML_NN_H
#define BML_NN_H
#include <stddef.h>
#include <stdint.h>

#ifndef BML_NN_DEF
#if defined(BML_NN_STATIC) && (defined(__GNUC__) || defined(__clang__))
#define BML_NN_DEF static __attribute__((unused))
#elif defined(BML_NN_STATIC)
#define BML_NN_DEF static
#elif defined(__cplusplus)
#define BML_NN_DEF extern "C"
#else
#define BML_NN_DEF extern
#endif
#endif

#ifdef BML_NN_DOUBLE
typedef double bml_nn_real;
#else
typedef float bml_nn_real; /* of every weight, input and output below */
#endif

/* ---- status ---- */
/* name, value, message. Everything but OK is negative. */
#define BML_NN_STATUS_TABLE(X)                                                                \
    X(BML_NN_OK, 0, "no error")                                                               \
    X(BML_NN_BAD_ARGUMENT, -1, "an argument is missing, NaN, or out of range")                \
    X(BML_NN_NO_MEMORY, -2, "out of memory")                                                  \
    X(BML_NN_TOO_LARGE, -3, "sizes whose product overflows")                                  \
    X(BML_NN_BAD_LAYER, -4, "a layer is malformed or does not fit the one it takes")          \
    X(BML_NN_BAD_DATA, -5, "the data hold a NaN or an infinity, or do not fit the loss")      \
    X(BML_NN_NAN, -6, "the loss is not finite: the weights are those of the last good epoch") \
    X(BML_NN_CANCELLED, -7, "stopped by the callback")                                        \
    X(BML_NN_CANNOT_OPEN, -8, "the file cannot be opened")                                    \
    X(BML_NN_CANNOT_WRITE, -9, "the file cannot be written")                                  \
    X(BML_NN_BAD_FILE, -10, "the file is truncated, damaged, or of another kind")             \
    X(BML_NN_MISMATCH, -11, "the file's tensors are not those of this network")
#define BML_NN__ENUM(name, value, text) name = value,
enum { BML_NN_STATUS_TABLE(BML_NN__ENUM) BML_NN__STATUS_END = 1 };
#undef BML_NN__ENUM

enum { BML_NN_MESSAGE = 512 }; /* bytes of a buffer for a reason, its 0 included */

/* The message of a status; "unknown status" for other numbers. Static text. */
BML_NN_DEF const char *bml_nn_strerror(int status);

/* ---- random numbers: the generator of all bml headers ---- */
typedef struct bml_nn_rng {
    uint32_t key[2];     /* seed */
    uint32_t counter[4]; /* number of the next block: {block, stream low, stream high, substream} */
    uint32_t block[4];   /* the present block */
    uint32_t used;       /* words of it already given out, 4 = all */
} bml_nn_rng;
BML_NN_DEF void bml_nn_philox(uint32_t *out, const uint32_t *counter,
                              const uint32_t *key);                               /* one Philox4x32-10 block */
BML_NN_DEF void bml_nn_rng_init(bml_nn_rng *rng, uint64_t seed, uint64_t stream); /* different streams do not overlap */
BML_NN_DEF double bml_nn_rng_uniform(bml_nn_rng *rng);                            /* uniform in (0,1) */
BML_NN_DEF double bml_nn_rng_normal(bml_nn_rng *rng);                             /* mean 0, sd 1 */

/* ---- layers ---- */
enum {
    BML_NN_INPUT = 0,
    BML_NN_DENSE,
    BML_NN_GRU,
    BML_NN_LSTM,
    BML_NN_RNN,
    BML_NN_CONV,
    BML_NN_POOL,
    BML_NN_DROPOUT,
    BML_NN_FLATTEN,
    BML_NN_RESHAPE,
    BML_NN_CONCAT,
    BML_NN_BATCH_NORM,
    BML_NN_LAYER_NORM,
    BML_NN_BAYES,
    BML_NN_ADD,
    BML_NN_N_KINDS
};
enum {
    BML_NN_LINEAR = 0,
    BML_NN_RELU,
    BML_NN_LEAKY_RELU,
    BML_NN_TANH,
    BML_NN_SIGMOID,
    BML_NN_SOFTPLUS,
    BML_NN_SILU,
    BML_NN_GELU,
    BML_NN_HARDTANH,
    BML_NN_SOFTMAX,
    BML_NN_N_ACTIVATIONS
};
enum { BML_NN_GLOROT = 0, BML_NN_HE };
enum { BML_NN_MAX_FROM = 8, BML_NN_MAX_NAME = 32 };

typedef struct bml_nn_layer {
    int kind;         /* BML_NN_INPUT ... */
    const char *name; /* unique, letters, digits, _ and -; NULL: kind and number, as "dense_2" */
    const char
        *from[BML_NN_MAX_FROM]; /* names of the layers it takes; none: the layer before (CONCAT and ADD need them) */
    int units;                  /* DENSE, BAYES, GRU, LSTM, RNN: units of one direction; CONV: filters */
    int activation;             /* DENSE, BAYES, CONV; RNN: 0 = tanh, or BML_NN_RELU. Softmax acts over the features */
    int steps, features;        /* INPUT, RESHAPE: the shape; steps = 0: a vector of `features`, else a sequence */
    int sequence;               /* GRU, LSTM, RNN: 1 = give all steps, 0 = the last state */
    int bidirectional;          /* GRU, LSTM, RNN: 1 = both directions, 2 units outputs */
    int reset_before;           /* GRU: which variant, see above */
    int kernel, stride;         /* CONV: kernel steps, stride (0 = 1); POOL: window (0 = 2), stride (0 = window) */
    int same;                   /* CONV: 1 = pad with zeros */
    int init;                   /* DENSE, CONV: BML_NN_GLOROT, BML_NN_HE */
    double rate;                /* DROPOUT: probability to drop, in [0,1) */
    double slope;               /* BML_NN_LEAKY_RELU: 0 = 0.01 */
    double prior_sd;            /* BAYES: 0 = 1 */
} bml_nn_layer;

typedef struct bml_nn_config {
    const bml_nn_layer *layers; /* [n_layers], copied with their names; the last one is the output */
    int n_layers;               /* 2 to 1000 */
    uint64_t seed;              /* of the first weights */
} bml_nn_config;

typedef struct bml_nn bml_nn;

/* Makes a network. After an error *net is NULL, there is nothing to free, and why[BML_NN_MESSAGE] (or NULL) holds the
   reason: which layer, and what is wrong. The same holds of every function that makes an object here.
   BAD_ARGUMENT, BAD_LAYER, TOO_LARGE, NO_MEMORY. */
BML_NN_DEF int bml_nn_create(bml_nn **net, const bml_nn_config *config, char *why);
BML_NN_DEF void bml_nn_free(bml_nn *net);
/* What the last failing call has to add to its status: which layer, tensor, row, epoch. "" if nothing. */
BML_NN_DEF const char *bml_nn_message(const bml_nn *net);
BML_NN_DEF size_t bml_nn_n_in(const bml_nn *net);     /* numbers in a row x */
BML_NN_DEF size_t bml_nn_n_out(const bml_nn *net);    /* numbers in a row y */
BML_NN_DEF size_t bml_nn_n_params(const bml_nn *net); /* trained numbers (running means of batch norm not among them) */
/* All of them, [n_params], tensor after tensor in the order of the layers: kernel, recurrent, bias, then the reverse
   direction's. */
BML_NN_DEF bml_nn_real *bml_nn_params(bml_nn *net);
/* One tensor, "dense_1.kernel", and its number of values; NULL and 0 if there is none. Lives as long as the net. */
BML_NN_DEF bml_nn_real *bml_nn_tensor(bml_nn *net, const char *name, size_t *count);
/* Layer, output shape, parameters, as text. Returns the characters needed without the 0, as snprintf does. */
BML_NN_DEF size_t bml_nn_summary(char *text, size_t size, const bml_nn *net);

/* ---- scaling: what the layers see is (x - shift)/scale; what they give is y = z scale + shift ---- */
enum { BML_NN_INPUTS = 0, BML_NN_OUTPUTS = 1 };
enum {
    BML_NN_STANDARD = 0, /* mean 0, sd 1, column by column */
    BML_NN_MIN_MAX,      /* [0,1], column by column */
    BML_NN_MIN_MAX_ALL
}; /* [0,1], one range for all columns */
/* Learns the scaling from data[n][n_in or n_out]; a column that does not vary keeps scale 1. BAD_ARGUMENT, BAD_DATA. */
BML_NN_DEF int bml_nn_fit_scaler(bml_nn *net, int which, int kind, const bml_nn_real *data, size_t n);
/* Sets it: shift and scale > 0, each [n_in or n_out]. BAD_ARGUMENT. */
BML_NN_DEF int bml_nn_set_scaler(bml_nn *net, int which, const bml_nn_real *shift, const bml_nn_real *scale);

/* ---- what else travels in the model file ---- */
/* A text (UTF-8) under a name (units, parameter list), or an array; a second call with the same name replaces it. Names
   as of layers, up to 63 characters, not beginning with bml_nn. BAD_ARGUMENT, NO_MEMORY. Texts and arrays live until
   replaced or the net is freed; absent: NULL. */
BML_NN_DEF int bml_nn_set_text(bml_nn *net, const char *name, const char *text);
BML_NN_DEF const char *bml_nn_get_text(const bml_nn *net, const char *name);
BML_NN_DEF int bml_nn_set_array(bml_nn *net, const char *name, const bml_nn_real *values, size_t n);
BML_NN_DEF const bml_nn_real *bml_nn_get_array(const bml_nn *net, const char *name, size_t *n);

/* ---- inference ---- */
typedef struct bml_nn_work bml_nn_work;
/* Memory to run `rows` rows at once on each of `threads` threads (0 = 1). The rows also set the blocks that larger
   calls are cut into: 48 is a good number. BAD_ARGUMENT, TOO_LARGE, NO_MEMORY. */
BML_NN_DEF int bml_nn_work_create(bml_nn_work **work, const bml_nn *net, int rows, int threads, char *why);
BML_NN_DEF void bml_nn_work_free(bml_nn_work *work);
/* y[n][n_out] of x[n][n_in]. work may be NULL, and must not serve two calls at once. A NaN in a row gives NaN in that
   row alone. BAD_ARGUMENT (also: a work of another net), NO_MEMORY. */
BML_NN_DEF int bml_nn_predict(const bml_nn *net, bml_nn_work *work, bml_nn_real *y, const bml_nn_real *x, size_t n);
/* draws[n_draws][n][n_out] with dropout on, independent for each row and draw, and Bayesian weights drawn, one set for
   all rows of a draw. Errors as above; BAD_LAYER when nothing in the net is random. */
BML_NN_DEF int bml_nn_draws(const bml_nn *net, bml_nn_work *work, bml_nn_real *draws, const bml_nn_real *x, size_t n,
                            int n_draws, uint64_t seed);
/* Mean and sd (each [n_values], sd may be NULL) and, if n_levels > 0, quantiles[n_levels][n_values] at levels[n_levels]
   in [0,1], of draws[n_draws][n_values], n_draws >= 2. BAD_ARGUMENT, NO_MEMORY. */
typedef struct bml_nn_spread {
    bml_nn_real *mean, *sd, *quantiles;
    const double *levels;
    int n_levels;
} bml_nn_spread;
BML_NN_DEF int bml_nn_summarize_draws(const bml_nn_spread *out, const bml_nn_real *draws, int n_draws, size_t n_values);
/* Vector-Jacobian product: dx[n][n_in] = dy[n][n_out] dY/dX, and y[n][n_out] unless NULL, both in your units. Dropout
   off, Bayesian weights at their mean. Errors as of predict. */
BML_NN_DEF int bml_nn_vjp(const bml_nn *net, bml_nn_work *work, bml_nn_real *dx, bml_nn_real *y, const bml_nn_real *dy,
                          const bml_nn_real *x, size_t n);
/* dx[n][n_in]: gradient of output number `output` (saliency). */
BML_NN_DEF int bml_nn_gradient(const bml_nn *net, bml_nn_work *work, bml_nn_real *dx, int output, const bml_nn_real *x,
                               size_t n);

/* ---- training ---- */
enum {
    BML_NN_MSE = 0,
    BML_NN_MSLE,
    BML_NN_MAE,
    BML_NN_BINARY,
    BML_NN_BINARY_LOGITS,
    BML_NN_CATEGORICAL,
    BML_NN_CATEGORICAL_LOGITS,
    BML_NN_CUSTOM,
    BML_NN_N_LOSSES
};
enum { BML_NN_ADAM = 0, BML_NN_ADAMW, BML_NN_RMSPROP, BML_NN_SGD, BML_NN_N_OPTIMIZERS };
enum {
    BML_NN_CONSTANT = 0,
    BML_NN_STEP,        /* rate * decay^floor(epoch/period) */
    BML_NN_EXPONENTIAL, /* rate * decay^(epoch/period) */
    BML_NN_COSINE,      /* from rate to rate * decay along half a cosine, batch by batch, over all epochs */
    BML_NN_N_SCHEDULES
};

/* A batch as a loss of your own sees it: predictions and targets after and before scaling, as the layers see them. */
typedef struct bml_nn_batch {
    bml_nn_real *gradient;         /* [n][n_out] write here d(loss)/d(prediction) */
    const bml_nn_real *prediction; /* [n][n_out] */
    const bml_nn_real *target;     /* [n][n_out], NULL if there are none */
    const bml_nn_real *x;          /* [n][n_in] in your units */
    const bml_nn_real *weight;     /* [n] sample weights, NULL = all 1 */
    int n;
    size_t n_in, n_out;
} bml_nn_batch;
typedef double (*bml_nn_loss_fn)(const bml_nn_batch *batch, void *user); /* returns the loss */

typedef struct bml_nn_epoch {
    int epoch, last;               /* 1, 2, ...; the last one planned */
    double loss, val_loss;         /* of training (mean over its batches, as they came) and validation (NaN without) */
    double accuracy, val_accuracy; /* share of right classes; NaN unless a cross-entropy */
    double learning_rate;          /* at the end of the epoch */
    double gradient_norm;          /* mean over batches, before clipping */
    int batch;                     /* its size */
    int best_epoch;                /* and the loss that was best: validation if there is one */
    double best_loss;
} bml_nn_epoch;
typedef int (*bml_nn_epoch_fn)(const bml_nn_epoch *epoch, void *user); /* non-zero stops */

typedef struct bml_nn_batch_step {
    int epoch, batch;
} bml_nn_batch_step; /* from this epoch (1, ...) batches of this size */

typedef struct bml_nn_training {
    const bml_nn_real *x, *y;   /* [n][n_in], [n][n_out]; not copied; y may be NULL with a loss of your own */
    const bml_nn_real *weights; /* [n] >= 0; NULL = all 1 */
    size_t n;
    const bml_nn_real *x_val, *y_val; /* [n_val][...] a validation set, or */
    size_t n_val;
    double validation; /* the share of rows, drawn at random, that is held back for it, in [0, 0.9]; 0 = none */
    int loss;
    const double
        *class_weights; /* [n_out] (binary with one output: [2], class 0 and 1) >= 0; cross-entropies; NULL = all 1 */
    bml_nn_loss_fn loss_fn; /* BML_NN_CUSTOM */
    void *loss_user;
    int optimizer;
    double learning_rate; /* 0 = 1e-3 */
    double momentum;      /* SGD, in [0,1) */
    double weight_decay;  /* AdamW: 0 = 0.01 */
    double l2;            /* 0 = none */
    double clip;          /* largest norm of the gradient; 0 = no limit */
    double kl_weight;     /* of Bayesian layers; 0 = 1 */
    int schedule;
    double decay; /* STEP, EXPONENTIAL: in (0,1], 0 = 0.1; COSINE: share left at the end, 0 = none */
    int period;   /* STEP, EXPONENTIAL: epochs; 0 = 10 */
    int warmup;   /* batches over which the rate grows linearly from 0 */
    int batch;    /* rows of a batch; 0 = 32 */
    const bml_nn_batch_step *batches; /* [n_batches] by epoch, before the first: batch; copied */
    int n_batches;
    int epochs;               /* 0 = 100 */
    int patience;             /* stop when the best loss is that many epochs old; 0 = never */
    int first_epoch;          /* best and patience count from here; 0 = 1 */
    int keep_last;            /* 1 = the net ends with the last weights; 0 = with the best (if there is validation) */
    int in_order;             /* 1 = do not shuffle */
    int threads;              /* 0 = 1 */
    int block;                /* rows of a block; 0 = max(32, batch/8). Smaller: more threads can help, same sum of rows
                                       in another order. Batch norm needs the whole batch and sets it so. */
    uint64_t seed;            /* of shuffling, dropout, validation rows */
    bml_nn_epoch_fn callback; /* after every epoch; NULL = none */
    void *user;
} bml_nn_training;

/* Trains as told; *result, unless NULL, is the last epoch's report. All rows are checked first (BAD_DATA, with row and
   column). After NAN and CANCELLED the net holds good weights. BAD_ARGUMENT, TOO_LARGE, NO_MEMORY. */
BML_NN_DEF int bml_nn_train(bml_nn *net, const bml_nn_training *training, bml_nn_epoch *result);

/* The same in pieces. The trainer changes the net, which must outlive it; messages stand in the net. */
typedef struct bml_nn_trainer bml_nn_trainer;
BML_NN_DEF int bml_nn_trainer_create(bml_nn_trainer **trainer, bml_nn *net, const bml_nn_training *training, char *why);
BML_NN_DEF void bml_nn_trainer_free(bml_nn_trainer *trainer);
/* Up to `epochs` more (0 = all that are left). The best weights are put into the net when training has ended. */
BML_NN_DEF int bml_nn_trainer_run(bml_nn_trainer *trainer, int epochs);
BML_NN_DEF int bml_nn_trainer_done(const bml_nn_trainer *trainer);
BML_NN_DEF bml_nn_epoch bml_nn_trainer_last(const bml_nn_trainer *trainer);
/* Between runs: a checkpoint from which a trainer made with the same net, data and settings goes on to the same bits.
   CANNOT_OPEN, CANNOT_WRITE, BAD_FILE, MISMATCH, NO_MEMORY. */
BML_NN_DEF int bml_nn_trainer_save(bml_nn_trainer *trainer, const char *path);
BML_NN_DEF int bml_nn_trainer_load(bml_nn_trainer *trainer, const char *path);

/* ---- data and metrics ---- */
/* part[n] = 0 ... n_parts-1 at random, shares[n_parts] > 0 of the rows each (NULL: equal, as for k folds); with
   labels[n] the shares hold within each label, as nearly as counts allow. BAD_ARGUMENT (also fewer rows than parts),
   NO_MEMORY. */
BML_NN_DEF int bml_nn_split(int *part, const double *shares, int n_parts, const int *labels, size_t n, uint64_t seed);

typedef struct bml_nn_metrics {
    double r2, mse, msle, mae;
} bml_nn_metrics;
/* out[n_out + 1]: each output, then all together, of prediction and target [n][n_out]. r2 = 1 - sum (p-y)^2 / sum
   (y-mean)^2, with the mean of each output; the last one is the mean of the outputs' r2. NaN where y does not vary.
   msle as the loss. BAD_ARGUMENT. */
BML_NN_DEF int bml_nn_evaluate(bml_nn_metrics *out, const bml_nn_real *prediction, const bml_nn_real *target, size_t n,
                               size_t n_out);
/* Two-sample Kolmogorov-Smirnov distance of the values a[n] and b[m]: the largest |F_a - F_b|, ties counted right.
   BAD_ARGUMENT, NO_MEMORY. */
BML_NN_DEF int bml_nn_ks(double *distance, const bml_nn_real *a, size_t n, const bml_nn_real *b, size_t m);
/* Dynamic time warping: root of the smallest sum of squared differences along a path that moves by one in a, b or both,
   no window (Sakoe & Chiba 1978). BAD_ARGUMENT, NO_MEMORY. */
BML_NN_DEF int bml_nn_dtw(double *distance, const bml_nn_real *a, size_t n, const bml_nn_real *b, size_t m);

/* ---- files ---- */
enum {
    BML_NN_F32 = 0,
    BML_NN_F16,
    BML_NN_BF16,
    BML_NN_F64
}; /* how tensors are stored; scalers and arrays: F32 or F64 */
/* Whole net to a safetensors file: architecture (metadata "bml_nn.layers", gate order and GRU variant included),
   tensors "layer.kernel" [C][U] ([K][C][U] for conv), "layer.recurrent" [U][gates U], "layer.bias", scalers, texts and
   arrays. Written under a temporary name, then renamed. CANNOT_OPEN, CANNOT_WRITE, NO_MEMORY, BAD_DATA (a weight that
   is not finite, or too large for F16). */
BML_NN_DEF int bml_nn_save(bml_nn *net, const char *path, int storage);
/* The same net again. CANNOT_OPEN, BAD_FILE, MISMATCH, BAD_LAYER, NO_MEMORY. */
BML_NN_DEF int bml_nn_load(bml_nn **net, const char *path, char *why);
/* The same from and to memory. bml_nn_encode: *bytes is yours, free it with bml_nn_free_bytes. */
BML_NN_DEF int bml_nn_encode(bml_nn *net, unsigned char **bytes, size_t *size, int storage);
BML_NN_DEF int bml_nn_decode(bml_nn **net, const unsigned char *bytes, size_t size, char *why);
BML_NN_DEF void bml_nn_free_bytes(unsigned char *bytes);
/* Weights alone, into a net of the right shape, from another program's safetensors file.
   BML_NN_KERAS   this file's own order: kernel [C][gates U], gates z r n and i f g o, GRU bias [2][3U] (reset_after) or
                  [3U]
   BML_NN_PYTORCH state_dict of nn.Linear, nn.GRU, nn.LSTM, nn.RNN (one layer each, perhaps bidirectional), nn.Conv1d,
   nn.BatchNorm1d,
                  nn.LayerNorm under the layers' names: "name.weight_ih_l0" [3U][C], gates r z n and i f g o, bias_ih
                  and bias_hh
   Every tensor must be there, and none be left over (BatchNorm's num_batches_tracked may). The net is unchanged after
   an error. */
enum { BML_NN_KERAS = 0, BML_NN_PYTORCH };
BML_NN_DEF int bml_nn_load_weights(bml_nn *net, const char *path, int convention);

#endif /* BML_NN_H */
/* ---- end of API ---- */

#if defined(BML_NN_IMPLEMENTATION) && !defined(BML_NN_IMPLEMENTED)
#define BML_NN_IMPLEMENTED
#include <math.h>
#include <stdarg.h>
#include <stdio.h> /* vsnprintf into message buffers, and model files; nothing is printed */
#include <string.h>
#include <stdlib.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef BML_NN_USE_CBLAS
#include <cblas.h>
#endif
#ifndef BML_NN_MALLOC
#define BML_NN_MALLOC(n) malloc(n)
#define BML_NN_REALLOC(p, n) realloc(p, n)
#define BML_NN_FREE(p) free(p)
#endif
#define BML_NN__NAN ((double)NAN) /* the C library's is float: said aloud for -Wdouble-promotion */
#define BML_NN__R(x) ((bml_nn_real)(x))
#if defined(__GNUC__) || defined(__clang__)
#define BML_NN_RESTRICT __restrict__
#define BML_NN__INLINE inline __attribute__((always_inline))
#ifdef __clang__
#define BML_NN__INDEPENDENT \
    _Pragma("clang loop vectorize(assume_safety)") /* what the loop writes it does not read elsewhere */
#else
#define BML_NN__INDEPENDENT _Pragma("GCC ivdep")
#endif
#define BML_NN__PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define BML_NN_RESTRICT
#define BML_NN__INLINE inline
#define BML_NN__INDEPENDENT
#define BML_NN__PRINTF(f, a)
#endif

/* >> status, memory, structures */

BML_NN_DEF const char *bml_nn_strerror(int status) {
#define BML_NN__CASE(name, value, text) \
    if (status == value) return text;
    BML_NN_STATUS_TABLE(BML_NN__CASE)
#undef BML_NN__CASE
    return "unknown status";
}

enum { BML_NN__MAX_LAYERS = 1000, BML_NN__MAX_RANK = 3, BML_NN__MAX_KEY = 64 };

/* Writes the message and hands the status through: return bml_nn__fail(...). */
BML_NN__PRINTF(3, 4) static int bml_nn__fail(char *message, int status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(message, BML_NN_MESSAGE, format, args);
    va_end(args);
    return status;
}

/* Ends a call that makes an object: why (if wanted) gets the message, or the text of the status if there is none. */
static int bml_nn__reason(char *why, int status, const char *message) {
    if (!why) return status;
    if (!status)
        why[0] = 0;
    else
        snprintf(why, BML_NN_MESSAGE, "%s", message && *message ? message : bml_nn_strerror(status));
    return status;
}

/* *product = a b, or 0 if that overflows. */
static int bml_nn__mul(size_t *product, size_t a, size_t b) {
    if (b && a > (size_t)-1 / b) return 0;
    *product = a * b;
    return 1;
}

/* *sum += a b, or 0 if that overflows. */
static int bml_nn__add_mul(size_t *sum, size_t a, size_t b) {
    size_t p;
    if (!bml_nn__mul(&p, a, b) || p > (size_t)-1 - *sum) return 0;
    *sum += p;
    return 1;
}

/* n zeroed things of `size` bytes; NULL on overflow or without memory. */
static void *bml_nn__alloc(size_t n, size_t size) {
    size_t bytes;
    if (!bml_nn__mul(&bytes, n, size)) return NULL;
    void *p = BML_NN_MALLOC(bytes ? bytes : 1);
    if (p) memset(p, 0, bytes);
    return p;
}

static bml_nn_real *bml_nn__reals(size_t n) {
    return (bml_nn_real *)bml_nn__alloc(n, sizeof(bml_nn_real));
}

static char *bml_nn__copy_text(const char *text) {
    size_t n = strlen(text) + 1;
    char *p = (char *)BML_NN_MALLOC(n);
    if (p) memcpy(p, text, n);
    return p;
}

enum {
    BML_NN__ZERO,
    BML_NN__ONE,
    BML_NN__KERNEL,
    BML_NN__ORTHOGONAL,
    BML_NN__FORGET,
    BML_NN__RHO,
    BML_NN__MEAN,
    BML_NN__VARIANCE
}; /* first values; the last two: not trained */

typedef struct bml_nn__tensor {
    int node, rank, start; /* its layer; dimensions; BML_NN__ZERO ... */
    const char *what;      /* "kernel", "bias", ... */
    size_t shape[BML_NN__MAX_RANK];
    size_t count, offset; /* in net->params, or in net->running */
    int running;          /* 1: a running mean of batch norm, not trained */
    double fan_in, fan_out;
} bml_nn__tensor;

/* A layer as planned. Sequences are stored step by step, [steps][rows][features], so that every step, and every run of
   steps, is one matrix; `in` and `out` are features, a vector has one step. */
typedef struct bml_nn__node {
    bml_nn_layer spec;
    char name[BML_NN_MAX_NAME];
    int from[BML_NN_MAX_FROM], n_from;
    int fresh[BML_NN_MAX_FROM]; /* 1: this layer is the first to write the gradient of its source in a backward pass */
    int in_steps, in, steps, out, is_sequence;
    int tensor, n_tensors;     /* its tensors */
    size_t input_offset;       /* INPUT: where in the row */
    size_t cache, cache_fixed; /* reals that forward leaves for backward: per row, and once */
    size_t dcache;             /* reals that backward alone needs, per row */
    size_t scratch, scratch_fixed;
} bml_nn__node;

typedef struct bml_nn__extra { /* a text or an array that travels with the net */
    char name[BML_NN__MAX_KEY];
    char *text;
    bml_nn_real *values;
    size_t n;
    struct bml_nn__extra *next;
} bml_nn__extra;

struct bml_nn {
    bml_nn__node *nodes;     /* [n_nodes] */
    bml_nn__tensor *tensors; /* [n_tensors] */
    int n_nodes, n_tensors;
    bml_nn_real *params;  /* [n_params] */
    bml_nn_real *running; /* [n_running] means and variances of batch norm */
    size_t n_params, n_running, n_in, n_out;
    bml_nn_real *shift[2], *scale[2]; /* of inputs [n_in] and outputs [n_out]; NULL = none */
    bml_nn__extra *extras;
    char message[BML_NN_MESSAGE];
};

BML_NN_DEF const char *bml_nn_message(const bml_nn *net) {
    return net ? net->message : "";
}
BML_NN_DEF size_t bml_nn_n_in(const bml_nn *net) {
    return net ? net->n_in : 0;
}
BML_NN_DEF size_t bml_nn_n_out(const bml_nn *net) {
    return net ? net->n_out : 0;
}
BML_NN_DEF size_t bml_nn_n_params(const bml_nn *net) {
    return net ? net->n_params : 0;
}
BML_NN_DEF bml_nn_real *bml_nn_params(bml_nn *net) {
    return net ? net->params : NULL;
}

/* >> random numbers */

BML_NN_DEF void bml_nn_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key) {
    uint32_t c0 = counter[0];
    uint32_t c1 = counter[1];
    uint32_t c2 = counter[2];
    uint32_t c3 = counter[3];
    uint32_t k0 = key[0];
    uint32_t k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u; /* golden ratio */
        k1 += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* The stream with counter words 1, 2, 3. */
static bml_nn_rng bml_nn__stream(uint64_t seed, uint32_t c1, uint32_t c2, uint32_t c3) {
    bml_nn_rng r = {{(uint32_t)seed, (uint32_t)(seed >> 32)}, {0, c1, c2, c3}, {0, 0, 0, 0}, 4};
    return r;
}

/* Word 3 all ones keeps these apart from the layers' noise, whose word 3 is the number of a batch or draw. */
BML_NN_DEF void bml_nn_rng_init(bml_nn_rng *rng, uint64_t seed, uint64_t stream) {
    *rng = bml_nn__stream(seed, (uint32_t)stream, (uint32_t)(stream >> 32), 0xFFFFFFFFu);
}

static uint32_t bml_nn__u32(bml_nn_rng *rng) {
    if (rng->used >= 4) {
        bml_nn_philox(rng->block, rng->counter, rng->key);
        rng->counter[0]++;
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

BML_NN_DEF double bml_nn_rng_uniform(bml_nn_rng *rng) {
    uint64_t high = bml_nn__u32(rng);
    uint64_t low = bml_nn__u32(rng);
    return ((double)((high << 32 | low) >> 12) + 0.5) * (1.0 / 4503599627370496.0); /* 2^-52: + 0.5 stays exact */
}

BML_NN_DEF double bml_nn_rng_normal(bml_nn_rng *rng) { /* Box & Muller 1958 */
    double r = sqrt(-2 * log(bml_nn_rng_uniform(rng)));
    return r * cos(6.283185307179586 * bml_nn_rng_uniform(rng));
}

/* 0..n-1; the bias, n/2^32 for small n, is far below what shuffling can show. */
static size_t bml_nn__below(bml_nn_rng *rng, size_t n) {
    uint64_t high = bml_nn__u32(rng);
    if (n <= 0xFFFFFFFFu) return (size_t)((high * (uint64_t)n) >> 32);
    return (size_t)((high << 32 | bml_nn__u32(rng)) % (uint64_t)n);
}

/* order[n] = 0 ... n-1, shuffled (Fisher & Yates). */
static void bml_nn__shuffle(size_t *order, size_t n, uint64_t seed, uint64_t stream) {
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, seed, stream);
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = n; i > 1; i--) {
        size_t j = bml_nn__below(&rng, i);
        size_t t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
}

/* From here to the end of the layers a product and a sum may be one fused operation, as gcc does by itself unless a strict
   -std= is asked for, and as clang does: it is twice as fast and rounds once less. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=fast")
#endif

/* >> elementary functions, for vector registers: no branches, no calls, in float */

#ifdef BML_NN_DOUBLE
static double bml_nn__exp(double x) {
    return exp(x);
}
static double bml_nn__log1p(double x) {
    return log1p(x);
}
static double bml_nn__tanh(double x) {
    return tanh(x);
}
#else
/* e^x = 2^n e^r, |r| <= ln(2)/2, the series to r^7/7! (next term 6e-9 of it). n = nearest integer to x/ln 2, by adding
   3 2^22, whose last bit is one; ln 2 in two parts, the first of 9 bits, so that n times it is exact. Held at the ends of the
   range of normal floats, e^-87 = 1.6e-38 and e^88 = 1.7e38. */
static BML_NN__INLINE float bml_nn__exp(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float n = x * 1.44269504f + 12582912.0f;
    uint32_t bits;
    memcpy(&bits, &n, 4);
    bits = (bits - 0x4B400000u + 127u) << 23;
    float scale;
    memcpy(&scale, &bits, 4);
    n -= 12582912.0f;
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r * r + r;
    return (p + 1) * scale;
}

/* log(1+t), 0 <= t <= 1: 2 atanh(s) = 2 (s + s^3/3 + ...), s = t/(2+t) <= 1/3; the first term left out is 4e-10 of it. */
static BML_NN__INLINE float bml_nn__log1p(float t) {
    float s = t / (2 + t);
    float q = s * s;
    float p = 1.0f / 17;
    p = p * q + 1.0f / 15;
    p = p * q + 1.0f / 13;
    p = p * q + 1.0f / 11;
    p = p * q + 1.0f / 9;
    p = p * q + 1.0f / 7;
    p = p * q + 1.0f / 5;
    p = p * q + 1.0f / 3;
    return 2 * (s + s * q * p);
}

/* (1-t)/(1+t), t = e^-2|x|; below 0.4, where 1-t cancels, x times the Taylor series in x^2 (term left out: 5e-9). */
static BML_NN__INLINE float bml_nn__tanh(float x) {
    float a = x < 0 ? -x : x;
    float t = bml_nn__exp(-2 * a);
    float q = x * x;
    float p = 21844.0f / 6081075;
    float big = (1 - t) / (1 + t);
    p = p * q - 1382.0f / 155925;
    p = p * q + 62.0f / 2835;
    p = p * q - 17.0f / 315;
    p = p * q + 2.0f / 15;
    p = p * q - 1.0f / 3;
    p = x + x * q * p;
    big = x < 0 ? -big : big;
    return a < 0.4f ? p : big;
}
#endif

/* 1/(1+e^-x) */
static BML_NN__INLINE bml_nn_real bml_nn__logistic(bml_nn_real x) {
    return 1 / (1 + bml_nn__exp(-x));
}

/* x/(1+e^-x), written so that the compiler does not fold it to one quotient by 1 + e^-x: what gcc 12 makes of that takes eight
   times as long on AVX-512. And its derivative. */
static BML_NN__INLINE bml_nn_real bml_nn__silu(bml_nn_real x) {
    const bml_nn_real e = bml_nn__exp(x);
    return x * (e / (1 + e));
}
static BML_NN__INLINE bml_nn_real bml_nn__silu_slope(bml_nn_real x) {
    const bml_nn_real e = bml_nn__exp(x);
    const bml_nn_real s = e / (1 + e);
    return s * (1 + x * (1 - s));
}

/* log(1+e^x) */
static BML_NN__INLINE bml_nn_real bml_nn__softplus(bml_nn_real x) {
    bml_nn_real a = x < 0 ? x : -x;
    return (x > 0 ? x : 0) + bml_nn__log1p(bml_nn__exp(a));
}

static bml_nn_real bml_nn__erf(bml_nn_real x) {
    return (bml_nn_real)erf((double)x);
}

/* >> the matrix product

   C = A B or C += A B in blocks of registers: `rows` rows by two vectors of C stay in registers while one column of A and one
   row of B pass by (Goto & van de Geijn 2008, ACM TOMS 34, 12). B is walked in panels of two vectors' width, straight from
   memory when its rows are contiguous, else through a small packed copy. Every element of C is summed in the same order
   whatever the sizes are. */

#if defined(__GNUC__) || defined(__clang__)
#if defined(__AVX512F__)
#define BML_NN__VECTOR 64
#elif defined(__AVX__)
#define BML_NN__VECTOR 32
#else
#define BML_NN__VECTOR 16
#endif
typedef bml_nn_real bml_nn__vec __attribute__((vector_size(BML_NN__VECTOR)));
typedef bml_nn_real bml_nn__loose __attribute__((vector_size(BML_NN__VECTOR), aligned(sizeof(bml_nn_real)), may_alias));
#else
#define BML_NN__VECTOR sizeof(bml_nn_real)
typedef bml_nn_real bml_nn__vec;
typedef bml_nn_real bml_nn__loose;
#endif
#if defined(__AVX512F__)
#define BML_NN__ROWS ((size_t)12) /* 24 of 32 registers for C */
#else
#define BML_NN__ROWS ((size_t)6) /* 12 of 16 */
#endif
#define BML_NN__LANES (BML_NN__VECTOR / sizeof(bml_nn_real)) /* numbers in a vector */
#define BML_NN__PANEL (2 * BML_NN__LANES)
#define BML_NN__DEPTH ((size_t)256)

typedef struct bml_nn__mat { /* element (i, j) is p[i rs + j cs] */
    const bml_nn_real *p;
    size_t rs, cs;
} bml_nn__mat;

static bml_nn__mat bml_nn__rows(const bml_nn_real *p, size_t width) { /* as stored, `width` reals a row */
    bml_nn__mat m;
    m.p = p;
    m.rs = width;
    m.cs = 1;
    return m;
}
static bml_nn__mat bml_nn__cols(const bml_nn_real *p, size_t width) { /* its transpose */
    bml_nn__mat m;
    m.p = p;
    m.rs = 1;
    m.cs = width;
    return m;
}

#define BML_NN__AT(p) (*(bml_nn__loose *)(p)) /* a vector at any address */
#define BML_NN__CONST_AT(p) (*(const bml_nn__loose *)(p))

#ifdef __clang__
#define BML_NN__UNROLL _Pragma("clang loop unroll(full)")
#else
#define BML_NN__UNROLL
#endif

/* c[rows][vectors] (+)= a[rows][depth] b[depth][vectors]; rows and vectors are constants where it is called. */
static BML_NN__INLINE void bml_nn__tile(int rows, int vectors, bml_nn_real *c, size_t ldc, bml_nn__mat a,
                                        const bml_nn_real *b, size_t ldb, size_t depth, int add) {
    bml_nn__vec sum[24], zero = {0};
    int i, j;
    size_t k;
    BML_NN__UNROLL for (i = 0; i < rows; i++) BML_NN__UNROLL for (j = 0; j < vectors; j++) {
        if (add)
            sum[i * vectors + j] = BML_NN__CONST_AT(c + (size_t)i * ldc + (size_t)j * BML_NN__LANES);
        else
            sum[i * vectors + j] = zero;
    }
    for (k = 0; k < depth; k++, b += ldb, a.p += a.cs) {
        BML_NN__UNROLL for (i = 0; i < rows; i++) {
            bml_nn_real x = a.p[(size_t)i * a.rs];
            BML_NN__UNROLL for (j = 0; j < vectors; j++) sum[i * vectors + j] +=
                x * BML_NN__CONST_AT(b + (size_t)j * BML_NN__LANES);
        }
    }
    BML_NN__UNROLL for (i = 0; i < rows; i++) BML_NN__UNROLL for (j = 0; j < vectors; j++)
        BML_NN__AT(c + (size_t)i * ldc + (size_t)j * BML_NN__LANES) = sum[i * vectors + j];
}

/* All m rows of one panel. */
static void bml_nn__panel(bml_nn_real *c, size_t ldc, bml_nn__mat a, const bml_nn_real *b, size_t ldb, size_t m,
                          size_t depth, int add) {
    size_t i = 0;
    for (; i + BML_NN__ROWS <= m; i += BML_NN__ROWS, a.p += BML_NN__ROWS * a.rs)
        bml_nn__tile(BML_NN__ROWS, 2, c + i * ldc, ldc, a, b, ldb, depth, add);
    for (; i + 4 <= m; i += 4, a.p += 4 * a.rs)
        bml_nn__tile(4, 2, c + i * ldc, ldc, a, b, ldb, depth, add);
    for (; i < m; i++, a.p += a.rs)
        bml_nn__tile(1, 2, c + i * ldc, ldc, a, b, ldb, depth, add);
}

/* One row of A: eight vectors of columns at once, for a batch of one. */
static void bml_nn__one_row(bml_nn_real *c, bml_nn__mat a, const bml_nn_real *b, size_t ldb, size_t n, size_t depth,
                            int add) {
    size_t j = 0;
    for (; j + 8 * BML_NN__LANES <= n; j += 8 * BML_NN__LANES)
        bml_nn__tile(1, 8, c + j, 0, a, b + j, ldb, depth, add);
    for (; j + BML_NN__PANEL <= n; j += BML_NN__PANEL)
        bml_nn__tile(1, 2, c + j, 0, a, b + j, ldb, depth, add);
    for (; j < n; j++) {
        bml_nn_real sum = add ? c[j] : 0;
        for (size_t k = 0; k < depth; k++)
            sum += a.p[k * a.cs] * b[k * ldb + j];
        c[j] = sum;
    }
}

/* One row of A against columns of B that are contiguous: a dot product each. */
static void bml_nn__dots(bml_nn_real *c, bml_nn__mat a, bml_nn__mat b, size_t n, size_t depth, int add) {
    enum { LANES = 16 };
    size_t k;
    for (size_t j = 0; j < n; j++) {
        const bml_nn_real *BML_NN_RESTRICT x = a.p;
        const bml_nn_real *BML_NN_RESTRICT y = b.p + j * b.cs;
        bml_nn_real part[LANES] = {0};
        bml_nn_real sum = add ? c[j] : 0;
        for (k = 0; k + LANES <= depth; k += LANES)
            for (size_t l = 0; l < LANES; l++)
                part[l] += x[k + l] * y[k + l];
        for (; k < depth; k++)
            sum += x[k] * y[k];
        for (size_t l = 0; l < LANES; l++)
            sum += part[l];
        c[j] = sum;
    }
}

/* pack[depth][PANEL] from `n` columns of b, zeros beside them. */
static void bml_nn__pack(bml_nn_real *BML_NN_RESTRICT pack, bml_nn__mat b, size_t n, size_t depth) {
    size_t j;
    size_t k;
    size_t width = BML_NN__PANEL;
    if (b.cs == 1) {
        for (k = 0; k < depth; k++, pack += width) {
            for (j = 0; j < n; j++)
                pack[j] = b.p[k * b.rs + j];
            for (; j < width; j++)
                pack[j] = 0;
        }
        return;
    }
    for (j = 0; j < width; j++)
        if (j >= n)
            for (k = 0; k < depth; k++)
                pack[k * width + j] = 0;
    for (k = 0; k + 8 <= depth; k += 8) /* eight rows at a time stay in the cache */
        for (j = 0; j < n; j++)
            for (size_t l = 0; l < 8; l++)
                pack[(k + l) * width + j] = b.p[(k + l) * b.rs + j * b.cs];
    for (; k < depth; k++)
        for (j = 0; j < n; j++)
            pack[k * width + j] = b.p[k * b.rs + j * b.cs];
}

/* c[m][n] (+)= a[m][depth] b[depth][n], at most DEPTH deep. */
static void bml_nn__slab(bml_nn_real *c, size_t ldc, bml_nn__mat a, bml_nn__mat b, size_t m, size_t n, size_t depth,
                         int add) {
    bml_nn_real pack[BML_NN__DEPTH * BML_NN__PANEL];
    bml_nn_real edge[BML_NN__ROWS * BML_NN__PANEL];
    size_t j;
    size_t width = BML_NN__PANEL;
    for (j = 0; j + width <= n; j += width) {
        const bml_nn_real *panel = b.p + j;
        if (b.cs != 1) {
            bml_nn__mat from = b;
            from.p += j * b.cs;
            bml_nn__pack(pack, from, width, depth);
            panel = pack;
        }
        bml_nn__panel(c + j, ldc, a, panel, b.cs == 1 ? b.rs : width, m, depth, add);
    }
    if (j == n) return;
    b.p += j * b.cs;
    c += j;
    n -= j;
    bml_nn__pack(pack, b, n, depth);
    for (size_t i = 0; i < m; i += BML_NN__ROWS, a.p += BML_NN__ROWS * a.rs) {
        size_t r = m - i < BML_NN__ROWS ? m - i : BML_NN__ROWS;
        bml_nn__panel(edge, width, a, pack, width, r, depth, 0);
        for (size_t l = 0; l < r * n; l++) {
            bml_nn_real *to = c + (i + l / n) * ldc + l % n;
            *to = edge[l / n * width + l % n] + (add ? *to : 0);
        }
    }
}

/* c[m][n] = a[m][depth] b[depth][n], or added to c when `add` is 1. c has ldc reals a row. */
static void bml_nn__product(bml_nn_real *c, size_t ldc, bml_nn__mat a, bml_nn__mat b, size_t m, size_t n, size_t depth,
                            int add) {
    size_t i, k;
#ifdef BML_NN_USE_CBLAS
    if (m >= 4 && (double)m * (double)n * (double)depth > 4096) {
        const CBLAS_TRANSPOSE ta = a.cs == 1 ? CblasNoTrans : CblasTrans, tb = b.cs == 1 ? CblasNoTrans : CblasTrans;
#ifdef BML_NN_DOUBLE
        cblas_dgemm
#else
        cblas_sgemm
#endif
            (CblasRowMajor, ta, tb, (int)m, (int)n, (int)depth, 1, a.p, (int)(a.cs == 1 ? a.rs : a.cs), b.p,
             (int)(b.cs == 1 ? b.rs : b.cs), add ? BML_NN__R(1) : BML_NN__R(0), c, (int)ldc);
        return;
    }
#endif
    if (m < 4 && (b.cs == 1 || (a.cs == 1 && b.rs == 1))) {
        for (i = 0; i < m; i++, c += ldc, a.p += a.rs) {
            if (b.cs == 1)
                bml_nn__one_row(c, a, b.p, b.rs, n, depth, add);
            else
                bml_nn__dots(c, a, b, n, depth, add);
        }
        return;
    }
    if (!depth && !add)
        for (i = 0; i < m; i++)
            memset(c + i * ldc, 0, n * sizeof *c);
    for (k = 0; k < depth; k += BML_NN__DEPTH, add = 1) {
        size_t d = depth - k < BML_NN__DEPTH ? depth - k : BML_NN__DEPTH;
        bml_nn__slab(c, ldc, a, b, m, n, d, add);
        a.p += d * a.cs, b.p += d * b.rs;
    }
}

/* to[n][m] = transpose of from[m][n] */
static void bml_nn__transpose(bml_nn_real *BML_NN_RESTRICT to, const bml_nn_real *BML_NN_RESTRICT from, size_t m,
                              size_t n) {
    size_t i;
    for (i = 0; i + 8 <= m; i += 8)
        for (size_t j = 0; j < n; j++)
            for (size_t l = 0; l < 8; l++)
                to[j * m + i + l] = from[(i + l) * n + j];
    for (; i < m; i++)
        for (size_t j = 0; j < n; j++)
            to[j * m + i] = from[i * n + j];
}

/* sum[n] = column sums of a[m][n], 64 columns at a time. */
static void bml_nn__column_sums(bml_nn_real *BML_NN_RESTRICT sum, const bml_nn_real *BML_NN_RESTRICT a, size_t m,
                                size_t n) {
    for (size_t j0 = 0; j0 < n; j0 += 64) {
        size_t j1 = n - j0 < 64 ? n : j0 + 64;
        for (size_t j = j0; j < j1; j++)
            sum[j] = 0;
        for (size_t i = 0; i < m; i++)
            for (size_t j = j0; j < j1; j++)
                sum[j] += a[i * n + j];
    }
}

/* >> activations: name, f(x), f' from x and y = f(x), and whether f' needs x */

#define BML_NN__ACTIVATION_TABLE(X)                                                                                \
    X(linear, x, 1, 0)                                                                                             \
    X(relu, x<0 ? 0 : x, y> 0 ? BML_NN__R(1) : 0, 0)                                                               \
    X(leaky_relu, x > 0 ? x : slope * x, y > 0 ? BML_NN__R(1) : slope, 0)                                          \
    X(tanh, bml_nn__tanh(x), 1 - y * y, 0)                                                                         \
    X(sigmoid, bml_nn__logistic(x), y *(1 - y), 0)                                                                 \
    X(softplus, bml_nn__softplus(x), y < BML_NN__R(0.01) ? y * (1 - y / 2 * (1 - y / 3)) : 1 - bml_nn__exp(-y), 0) \
    X(silu, bml_nn__silu(x), bml_nn__silu_slope(x), 1)                                                             \
    X(gelu, x / 2 * (1 + bml_nn__erf(x * BML_NN__R(0.70710678118654752))),                                         \
      (1 + bml_nn__erf(x * BML_NN__R(0.70710678118654752))) / 2 +                                                  \
          x * BML_NN__R(0.39894228040143268) * bml_nn__exp(-x * x / 2),                                            \
      1)                                                                                                           \
    X(hardtanh, x > 1 ? BML_NN__R(1) : x < -1 ? BML_NN__R(-1) : x, y < 1 && y > -1 ? BML_NN__R(1) : 0, 0)

#define BML_NN__FUNCTION(name, value, slope_of, needs_x)                                                      \
    static void bml_nn__act_##name(bml_nn_real *BML_NN_RESTRICT z, size_t n, bml_nn_real slope) {             \
        size_t i;                                                                                             \
        (void)slope;                                                                                          \
        for (i = 0; i < n; i++) {                                                                             \
            bml_nn_real x = z[i];                                                                             \
            z[i] = value;                                                                                     \
        }                                                                                                     \
    }                                                                                                         \
    static void bml_nn__back_##name(bml_nn_real *BML_NN_RESTRICT d, const bml_nn_real *BML_NN_RESTRICT after, \
                                    const bml_nn_real *BML_NN_RESTRICT before, size_t n, bml_nn_real slope) { \
        size_t i;                                                                                             \
        (void)slope;                                                                                          \
        for (i = 0; i < n; i++) {                                                                             \
            bml_nn_real y = after[i], x = before ? before[i] : 0;                                             \
            (void)x, (void)y;                                                                                 \
            d[i] *= slope_of;                                                                                 \
        }                                                                                                     \
    }
BML_NN__ACTIVATION_TABLE(BML_NN__FUNCTION)
#undef BML_NN__FUNCTION

/* Over each row of `width`: e^(x - max)/sum. */
static void bml_nn__softmax(bml_nn_real *z, size_t rows, size_t width) {
    for (size_t i = 0; i < rows; i++, z += width) {
        bml_nn_real top = z[0];
        bml_nn_real sum = 0;
        for (size_t j = 1; j < width; j++)
            top = z[j] > top ? z[j] : top;
        for (size_t j = 0; j < width; j++)
            z[j] = bml_nn__exp(z[j] - top);
        for (size_t j = 0; j < width; j++)
            sum += z[j];
        for (size_t j = 0; j < width; j++)
            z[j] /= sum;
    }
}

static void bml_nn__back_softmax(bml_nn_real *d, const bml_nn_real *y, size_t rows, size_t width) {
    for (size_t i = 0; i < rows; i++, d += width, y += width) {
        bml_nn_real sum = 0;
        for (size_t j = 0; j < width; j++)
            sum += d[j] * y[j];
        for (size_t j = 0; j < width; j++)
            d[j] = y[j] * (d[j] - sum);
    }
}

typedef struct bml_nn__activation {
    const char *name;
    void (*act)(bml_nn_real *z, size_t n, bml_nn_real slope);
    void (*back)(bml_nn_real *d, const bml_nn_real *after, const bml_nn_real *before, size_t n, bml_nn_real slope);
    int needs_x;
} bml_nn__activation;

#define BML_NN__ENTRY(name, value, slope_of, needs_x) {#name, bml_nn__act_##name, bml_nn__back_##name, needs_x},
static const bml_nn__activation bml_nn__activations[BML_NN_N_ACTIVATIONS] = {
    BML_NN__ACTIVATION_TABLE(BML_NN__ENTRY){"softmax", NULL, NULL, 0}};
#undef BML_NN__ENTRY

/* >> a pass: the memory of some rows on their way through the layers and back

   out[i] [steps][b][features] is what layer i gives, d[i] the derivative of the loss by it, cache[i] what its backward pass
   wants to know. Each layer writes the gradient of its tensors whole, so that nothing need be zeroed before. */

enum { BML_NN__PLAIN, BML_NN__TRAIN, BML_NN__DRAW };

typedef struct bml_nn__lane {
    int rows, b;                     /* room for, and in use */
    int mode;                        /* BML_NN__PLAIN, ... */
    uint64_t seed;                   /* of the noise */
    uint32_t step;                   /* number of the batch or draw */
    size_t first;                    /* number of the first row in its batch */
    bml_nn_real **out, **d, **cache; /* [n_nodes] */
    bml_nn_real *scratch, *forward_memory, *backward_memory;
    bml_nn_real *grad;    /* [n_params], NULL: gradients of the inputs are wanted instead */
    bml_nn_real *running; /* [n_running] new running means, training */
} bml_nn__lane;

/* 128 random bits for a row of a layer, the same on any thread. */
static void bml_nn__bits(uint32_t *bits, const bml_nn__lane *lane, int node, size_t row, size_t block) {
    uint32_t key[2];
    uint32_t counter[4];
    key[0] = (uint32_t)lane->seed;
    key[1] = (uint32_t)(lane->seed >> 32);
    counter[0] = (uint32_t)block;
    counter[1] = (uint32_t)row;
    counter[2] = (uint32_t)node;
    counter[3] = lane->step;
    bml_nn_philox(bits, counter, key);
}

/* Blocks block ... block + LOT - 1 of them, word k of block l in bits[k][l]: bml_nn_philox on LOT counters at once. */
#define BML_NN__LOT 32
static void bml_nn__bits_lot(uint32_t bits[4][BML_NN__LOT], const bml_nn__lane *lane, int node, size_t row,
                             size_t block) {
    uint32_t k0 = (uint32_t)lane->seed;
    uint32_t k1 = (uint32_t)(lane->seed >> 32);
    for (int l = 0; l < BML_NN__LOT; l++) {
        bits[0][l] = (uint32_t)block + (uint32_t)l;
        bits[1][l] = (uint32_t)row;
        bits[2][l] = (uint32_t)node;
        bits[3][l] = lane->step;
    }
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
        for (int l = 0; l < BML_NN__LOT; l++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * bits[0][l];
            uint64_t p1 = (uint64_t)0xCD9E8D57u * bits[2][l];
            bits[0][l] = (uint32_t)(p1 >> 32) ^ bits[1][l] ^ k0;
            bits[1][l] = (uint32_t)p1;
            bits[2][l] = (uint32_t)(p0 >> 32) ^ bits[3][l] ^ k1;
            bits[3][l] = (uint32_t)p0;
        }
}

static const bml_nn_real *bml_nn__param(const bml_nn *net, int node, int k) {
    return net->params + net->tensors[net->nodes[node].tensor + k].offset;
}
static bml_nn_real *bml_nn__grad(const bml_nn *net, const bml_nn__lane *lane, int node, int k) {
    return lane->grad + net->tensors[net->nodes[node].tensor + k].offset;
}
static size_t bml_nn__cells(const bml_nn__node *n, const bml_nn__lane *lane) {
    return (size_t)n->steps * (size_t)lane->b * (size_t)n->out;
}

/* Whether the derivative by source j of a layer is wanted: not that by the inputs while weights are trained. */
static int bml_nn__wants(const bml_nn *net, const bml_nn__lane *lane, const bml_nn__node *n, int j) {
    return !lane->grad || net->nodes[n->from[j]].spec.kind != BML_NN_INPUT;
}

/* z becomes act(z + bias); `before` keeps z + bias where the derivative needs it. */
static void bml_nn__activate(const bml_nn__node *n, bml_nn_real *z, bml_nn_real *before, const bml_nn_real *bias,
                             size_t rows) {
    const bml_nn__activation *a = &bml_nn__activations[n->spec.activation];
    size_t width = (size_t)n->out;
    for (size_t i = 0; i < rows; i++) {
        bml_nn_real *BML_NN_RESTRICT row = z + i * width;
        for (size_t j = 0; j < width; j++)
            row[j] += bias[j];
        if (a->needs_x) memcpy(before + i * width, row, width * sizeof *row);
        if (a->act)
            a->act(row, width, (bml_nn_real)n->spec.slope);
        else
            bml_nn__softmax(row, 1, width);
    }
}

/* d becomes the derivative by what went into the activation. */
static void bml_nn__deactivate(const bml_nn__node *n, bml_nn_real *d, const bml_nn_real *after,
                               const bml_nn_real *before, size_t rows) {
    const bml_nn__activation *a = &bml_nn__activations[n->spec.activation];
    if (a->back)
        a->back(d, after, a->needs_x ? before : NULL, rows * (size_t)n->out, (bml_nn_real)n->spec.slope);
    else
        bml_nn__back_softmax(d, after, rows, (size_t)n->out);
}

/* >> layers: dense */

static void bml_nn__dense_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t rows = (size_t)n->steps * (size_t)lane->b;
    size_t in = (size_t)n->in;
    size_t out = (size_t)n->out;
    bml_nn__product(lane->out[i], out, bml_nn__rows(lane->out[n->from[0]], in),
                    bml_nn__rows(bml_nn__param(net, i, 0), out), rows, out, in, 0);
    bml_nn__activate(n, lane->out[i], lane->cache[i], bml_nn__param(net, i, 1), rows);
}

static void bml_nn__dense_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t rows = (size_t)n->steps * (size_t)lane->b;
    size_t in = (size_t)n->in;
    size_t out = (size_t)n->out;
    bml_nn_real *d = lane->d[i];
    bml_nn__deactivate(n, d, lane->out[i], lane->cache[i], rows);
    if (lane->grad) {
        bml_nn__product(bml_nn__grad(net, lane, i, 0), out, bml_nn__cols(lane->out[n->from[0]], in),
                        bml_nn__rows(d, out), in, out, rows, 0);
        bml_nn__column_sums(bml_nn__grad(net, lane, i, 1), d, rows, out);
    }
    if (bml_nn__wants(net, lane, n, 0))
        bml_nn__product(lane->d[n->from[0]], in, bml_nn__rows(d, out), bml_nn__cols(bml_nn__param(net, i, 0), out),
                        rows, in, out, !n->fresh[0]);
}

/* >> layers: Bayesian dense (Flipout)

   The bias is the weight of one more input that is always 1. cache: signs s [rows][in+1], r [rows][out]; once: eps and
   dW = sd eps, each [in+1][out]. */

static bml_nn_real *bml_nn__bayes_fixed(const bml_nn__node *n, const bml_nn__lane *lane, int i) {
    return lane->cache[i] + (size_t)n->steps * (size_t)lane->b * (size_t)(n->in + 1 + 2 * n->out);
}

/* eps and dW of this batch or draw. */
static void bml_nn__bayes_perturb(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t weights = (size_t)n->in * (size_t)n->out;
    size_t all = weights + (size_t)n->out;
    bml_nn_real *eps = bml_nn__bayes_fixed(n, lane, i);
    bml_nn_real *dw = eps + all;
    const bml_nn_real *rho = bml_nn__param(net, i, 2);
    const bml_nn_real *rho_bias = bml_nn__param(net, i, 3);
    bml_nn_rng rng = bml_nn__stream(lane->seed, 0xFFFFFFFFu, (uint32_t)i, lane->step);
    for (size_t k = 0; k < all; k++) {
        eps[k] = (bml_nn_real)bml_nn_rng_normal(&rng);
        dw[k] = eps[k] * bml_nn__softplus(k < weights ? rho[k] : rho_bias[k - weights]);
    }
}

/* Signs: those of the in+1 inputs, then those of the outputs; all +1 in a draw, which is one set of weights. */
static void bml_nn__bayes_signs(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t in = (size_t)n->in + 1;
    size_t out = (size_t)n->out;
    size_t rows = (size_t)n->steps * (size_t)lane->b;
    bml_nn_real *s = lane->cache[i];
    bml_nn_real *r = s + rows * in;
    for (size_t row = 0; row < rows; row++) {
        size_t b = row % (size_t)lane->b;
        size_t t = row / (size_t)lane->b;
        for (size_t j = 0; j < in + out; j++) {
            size_t bit = t * (in + out) + j;
            uint32_t bits[4] = {0, 0, 0, 0};
            bml_nn_real *to = j < in ? s + row * in + j : r + row * out + j - in;
            if (lane->mode == BML_NN__TRAIN) bml_nn__bits(bits, lane, i, lane->first + b, bit / 128);
            *to = bits[bit / 32 % 4] >> (bit % 32) & 1 ? BML_NN__R(-1) : BML_NN__R(1);
        }
    }
}

static void bml_nn__bayes_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t rows = (size_t)n->steps * (size_t)lane->b;
    size_t in = (size_t)n->in;
    size_t out = (size_t)n->out;
    const bml_nn_real *x = lane->out[n->from[0]];
    const bml_nn_real *s = lane->cache[i];
    const bml_nn_real *r = s + rows * (in + 1);
    const bml_nn_real *dw = bml_nn__bayes_fixed(n, lane, i) + (in + 1) * out;
    bml_nn_real *y = lane->out[i];
    bml_nn_real *xs = lane->scratch;
    bml_nn_real *p = xs + rows * in;
    bml_nn__product(y, out, bml_nn__rows(x, in), bml_nn__rows(bml_nn__param(net, i, 0), out), rows, out, in, 0);
    if (lane->mode != BML_NN__PLAIN) {
        bml_nn__bayes_perturb(net, lane, i);
        bml_nn__bayes_signs(net, lane, i);
        for (size_t row = 0; row < rows; row++)
            for (size_t j = 0; j < in; j++)
                xs[row * in + j] = x[row * in + j] * s[row * (in + 1) + j];
        bml_nn__product(p, out, bml_nn__rows(xs, in), bml_nn__rows(dw, out), rows, out, in, 0);
        for (size_t row = 0; row < rows; row++)
            for (size_t j = 0; j < out; j++)
                y[row * out + j] += (p[row * out + j] + s[row * (in + 1) + in] * dw[in * out + j]) * r[row * out + j];
    }
    bml_nn__activate(n, y, lane->cache[i] + rows * (in + 1 + out), bml_nn__param(net, i, 1), rows);
}

/* Gradients of rho from those of dW: d(dW)/d(rho) = eps s(rho). */
static void bml_nn__bayes_rho(bml_nn_real *g, const bml_nn_real *eps, const bml_nn_real *rho, size_t n) {
    for (size_t k = 0; k < n; k++)
        g[k] *= eps[k] * bml_nn__logistic(rho[k]);
}

static void bml_nn__bayes_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t rows = (size_t)n->steps * (size_t)lane->b;
    size_t in = (size_t)n->in;
    size_t out = (size_t)n->out;
    const bml_nn_real *x = lane->out[n->from[0]];
    const bml_nn_real *s = lane->cache[i];
    const bml_nn_real *r = s + rows * (in + 1);
    const bml_nn_real *eps = bml_nn__bayes_fixed(n, lane, i);
    const bml_nn_real *dw = eps + (in + 1) * out;
    bml_nn_real *d = lane->d[i];
    bml_nn_real *dx = lane->d[n->from[0]];
    bml_nn_real *xs = lane->scratch;
    bml_nn_real *dp = xs + rows * in;
    int train = lane->mode == BML_NN__TRAIN;
    bml_nn__deactivate(n, d, lane->out[i], lane->cache[i] + rows * (in + 1 + out), rows);
    if (train)
        for (size_t j = 0; j < rows * out; j++)
            dp[j] = d[j] * r[j];
    if (lane->grad) {
        bml_nn_real *g_rho = bml_nn__grad(net, lane, i, 2);
        bml_nn_real *g_bias = bml_nn__grad(net, lane, i, 3);
        bml_nn__product(bml_nn__grad(net, lane, i, 0), out, bml_nn__cols(x, in), bml_nn__rows(d, out), in, out, rows,
                        0);
        bml_nn__column_sums(bml_nn__grad(net, lane, i, 1), d, rows, out);
        for (size_t row = 0; row < rows; row++)
            for (size_t j = 0; j < in; j++)
                xs[row * in + j] = x[row * in + j] * s[row * (in + 1) + j];
        bml_nn__product(g_rho, out, bml_nn__cols(xs, in), bml_nn__rows(dp, out), in, out, rows, 0);
        bml_nn__bayes_rho(g_rho, eps, bml_nn__param(net, i, 2), in * out);
        memset(g_bias, 0, out * sizeof *g_bias);
        for (size_t row = 0; row < rows; row++)
            for (size_t j = 0; j < out; j++)
                g_bias[j] += dp[row * out + j] * s[row * (in + 1) + in];
        bml_nn__bayes_rho(g_bias, eps + in * out, bml_nn__param(net, i, 3), out);
    }
    if (!bml_nn__wants(net, lane, n, 0)) return;
    bml_nn__product(dx, in, bml_nn__rows(d, out), bml_nn__cols(bml_nn__param(net, i, 0), out), rows, in, out,
                    !n->fresh[0]);
    if (!train) return;
    bml_nn__product(xs, in, bml_nn__rows(dp, out), bml_nn__cols(dw, out), rows, in, out, 0);
    for (size_t row = 0; row < rows; row++)
        for (size_t j = 0; j < in; j++)
            dx[row * in + j] += xs[row * in + j] * s[row * (in + 1) + j];
}

/* >> layers: recurrent

   One product makes the input part of all steps and gates, one product a step the recurrent part of all gates; the
   elementwise rest of a step is one loop. A cell is one direction; h has one more slot of zeros before the first state it
   makes, so that the states before all steps are one matrix too. */

typedef struct bml_nn__cell {
    int steps, b, in, units, gates, reverse;
    const bml_nn_real *w, *r, *bias; /* [in][G], [units][G], G = gates units */
    bml_nn_real *g;                  /* [steps][b][G] the gates */
    bml_nn_real *h;                  /* [steps+1][b][units] */
    bml_nn_real *aux;                /* [steps][b][units] GRU: h Rn + cn, or r * h; LSTM: tanh(c) */
    bml_nn_real *c;                  /* [steps+1][b][units] LSTM */
    bml_nn_real *dg, *dt;            /* [steps][b][G] by the gates, input side and (GRU, reset after) recurrent side */
    bml_nn_real *t;                  /* scratch [b][G] */
    bml_nn_real *dh, *dc;            /* scratch [b][units] */
    bml_nn_real *rt;                 /* scratch [G][units] the transpose of r */
} bml_nn__cell;

static int bml_nn__gates(const bml_nn_layer *l) {
    return l->kind == BML_NN_LSTM ? 4 : l->kind == BML_NN_GRU ? 3 : 1;
}
static int bml_nn__two_sided(const bml_nn_layer *l) {
    return l->kind == BML_NN_GRU && !l->reset_before;
}

static bml_nn__cell bml_nn__cell_of(const bml_nn *net, const bml_nn__lane *lane, int i, int reverse) {
    const bml_nn__node *n = &net->nodes[i];
    int has_aux = n->spec.kind != BML_NN_RNN;
    int k = reverse * 3;
    size_t b = (size_t)lane->b;
    size_t u = (size_t)n->spec.units;
    size_t steps = (size_t)n->in_steps;
    bml_nn__cell c;
    c.steps = n->in_steps;
    c.b = lane->b;
    c.in = n->in;
    c.units = n->spec.units;
    c.gates = bml_nn__gates(&n->spec);
    c.reverse = reverse;
    size_t G = u * (size_t)c.gates;
    c.w = bml_nn__param(net, i, k);
    c.r = bml_nn__param(net, i, k + 1);
    c.bias = bml_nn__param(net, i, k + 2);
    c.g = lane->cache[i] + (reverse ? b * n->cache / 2 : 0);
    c.h = c.g + steps * b * G;
    c.aux = c.h + (steps + 1) * b * u;
    c.c = c.aux + (has_aux ? steps * b * u : 0);
    c.dg = lane->d ? lane->cache[i] + b * n->cache + (reverse ? b * n->dcache / 2 : 0) : NULL;
    c.dt = c.dg && bml_nn__two_sided(&n->spec) ? c.dg + steps * b * G : c.dg;
    c.t = lane->scratch;
    c.dh = c.t + b * G;
    c.dc = c.dh + b * u;
    c.rt = c.dc + b * u;
    return c;
}

static void bml_nn__lstm_step(const bml_nn__cell *k, bml_nn_real *g, bml_nn_real *tanh_c, bml_nn_real *h,
                              const bml_nn_real *c_before, bml_nn_real *c_after) {
    size_t u = (size_t)k->units;
    for (size_t row = 0; row < (size_t)k->b; row++) {
        bml_nn_real *BML_NN_RESTRICT gi = g + row * 4 * u;
        bml_nn_real *BML_NN_RESTRICT gf = gi + u;
        bml_nn_real *BML_NN_RESTRICT gg = gf + u;
        bml_nn_real *BML_NN_RESTRICT go = gg + u;
        bml_nn_real *BML_NN_RESTRICT to = h + row * u;
        bml_nn_real *BML_NN_RESTRICT tc = tanh_c + row * u;
        bml_nn_real *BML_NN_RESTRICT c = c_after + row * u;
        const bml_nn_real *BML_NN_RESTRICT before = c_before + row * u;
        const bml_nn_real *BML_NN_RESTRICT bias = k->bias;
        BML_NN__INDEPENDENT
        for (size_t j = 0; j < u; j++) {
            gi[j] = bml_nn__logistic(gi[j] + bias[j]);
            gf[j] = bml_nn__logistic(gf[j] + bias[u + j]);
            gg[j] = bml_nn__tanh(gg[j] + bias[2 * u + j]);
            go[j] = bml_nn__logistic(go[j] + bias[3 * u + j]);
            c[j] = gf[j] * before[j] + gi[j] * gg[j];
            tc[j] = bml_nn__tanh(c[j]);
            to[j] = go[j] * tc[j];
        }
    }
}

/* t holds h R (no bias), or nothing when first: then h = 0. */
static void bml_nn__gru_step(const bml_nn__cell *k, bml_nn_real *g, bml_nn_real *aux, bml_nn_real *h,
                             const bml_nn_real *h_before, int first) {
    size_t u = (size_t)k->units;
    if (first) memset(k->t, 0, (size_t)k->b * 3 * u * sizeof *k->t);
    for (size_t row = 0; row < (size_t)k->b; row++) {
        bml_nn_real *BML_NN_RESTRICT gz = g + row * 3 * u;
        bml_nn_real *BML_NN_RESTRICT gr = gz + u;
        bml_nn_real *BML_NN_RESTRICT gn = gr + u;
        bml_nn_real *BML_NN_RESTRICT to = h + row * u;
        bml_nn_real *BML_NN_RESTRICT a = aux + row * u;
        const bml_nn_real *BML_NN_RESTRICT t = k->t + row * 3 * u;
        const bml_nn_real *BML_NN_RESTRICT before = h_before + row * u;
        const bml_nn_real *BML_NN_RESTRICT bias = k->bias;
        const bml_nn_real *BML_NN_RESTRICT c = bias + 3 * u;
        BML_NN__INDEPENDENT
        for (size_t j = 0; j < u; j++) {
            gz[j] = bml_nn__logistic(gz[j] + bias[j] + t[j] + c[j]);
            gr[j] = bml_nn__logistic(gr[j] + bias[u + j] + t[u + j] + c[u + j]);
            a[j] = t[2 * u + j] + c[2 * u + j];
            gn[j] = bml_nn__tanh(gn[j] + bias[2 * u + j] + gr[j] * a[j]);
            to[j] = gn[j] + gz[j] * (before[j] - gn[j]);
        }
    }
}

/* The two halves of the other variant, before and after the product (r * h) Rn; t holds h Rz, h Rr. */
static void bml_nn__gru_before_step(const bml_nn__cell *k, bml_nn_real *g, bml_nn_real *aux, bml_nn_real *h,
                                    const bml_nn_real *h_before, int half) {
    size_t u = (size_t)k->units;
    for (size_t row = 0; row < (size_t)k->b; row++) {
        bml_nn_real *BML_NN_RESTRICT gz = g + row * 3 * u;
        bml_nn_real *BML_NN_RESTRICT gr = gz + u;
        bml_nn_real *BML_NN_RESTRICT gn = gr + u;
        bml_nn_real *BML_NN_RESTRICT to = h + row * u;
        bml_nn_real *BML_NN_RESTRICT a = aux + row * u;
        const bml_nn_real *BML_NN_RESTRICT before = h_before + row * u;
        const bml_nn_real *BML_NN_RESTRICT bias = k->bias;
        if (half == 0) BML_NN__INDEPENDENT
        for (size_t j = 0; j < u; j++) {
            gz[j] = bml_nn__logistic(gz[j] + bias[j]);
            gr[j] = bml_nn__logistic(gr[j] + bias[u + j]);
            a[j] = gr[j] * before[j];
        }
        else BML_NN__INDEPENDENT for (size_t j = 0; j < u; j++) {
            gn[j] = bml_nn__tanh(gn[j] + bias[2 * u + j]);
            to[j] = gn[j] + gz[j] * (before[j] - gn[j]);
        }
    }
}

/* Step t of a cell; at the first one h is zero and its products are left out. */
static void bml_nn__cell_step(const bml_nn__node *n, const bml_nn__cell *k, size_t t, int first) {
    size_t b = (size_t)k->b;
    size_t u = (size_t)k->units;
    size_t G = u * (size_t)k->gates;
    size_t after = k->reverse ? t : t + 1;
    size_t before = k->reverse ? t + 1 : t;
    bml_nn_real *g = k->g + t * b * G;
    bml_nn_real *h = k->h + after * b * u;
    bml_nn_real *aux = k->aux + t * b * u;
    const bml_nn_real *h_before = k->h + before * b * u;
    const bml_nn__mat H = bml_nn__rows(h_before, u);
    const bml_nn__mat R = bml_nn__rows(k->r, G);
    if (n->spec.kind == BML_NN_LSTM) {
        if (!first) bml_nn__product(g, G, H, R, b, G, u, 1);
        bml_nn__lstm_step(k, g, aux, h, k->c + before * b * u, k->c + after * b * u);
    } else if (n->spec.kind == BML_NN_RNN) {
        if (!first) bml_nn__product(g, G, H, R, b, G, u, 1);
        for (size_t row = 0; row < b; row++)
            for (size_t j = 0; j < u; j++)
                g[row * u + j] += k->bias[j];
        memcpy(h, g, b * u * sizeof *h);
        bml_nn__activations[n->spec.activation].act(h, b * u, 0);
    } else if (n->spec.reset_before) {
        bml_nn__mat Rn = bml_nn__rows(k->r + 2 * u, G);
        if (!first) bml_nn__product(g, G, H, R, b, 2 * u, u, 1);
        bml_nn__gru_before_step(k, g, aux, h, h_before, 0);
        if (!first) bml_nn__product(g + 2 * u, G, bml_nn__rows(aux, u), Rn, b, u, u, 1);
        bml_nn__gru_before_step(k, g, aux, h, h_before, 1);
    } else {
        if (!first) bml_nn__product(k->t, G, H, R, b, G, u, 0);
        bml_nn__gru_step(k, g, aux, h, h_before, first);
    }
}

static void bml_nn__recurrent_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t b = (size_t)lane->b;
    size_t T = (size_t)n->in_steps;
    size_t u = (size_t)n->spec.units;
    size_t out = (size_t)n->out;
    for (int reverse = 0; reverse <= n->spec.bidirectional; reverse++) {
        bml_nn__cell k = bml_nn__cell_of(net, lane, i, reverse);
        size_t G = u * (size_t)k.gates;
        size_t zero = reverse ? T : 0;
        bml_nn__product(k.g, G, bml_nn__rows(lane->out[n->from[0]], (size_t)k.in), bml_nn__rows(k.w, G), T * b, G,
                        (size_t)k.in, 0);
        memset(k.h + zero * b * u, 0, b * u * sizeof *k.h);
        if (n->spec.kind == BML_NN_LSTM) memset(k.c + zero * b * u, 0, b * u * sizeof *k.c);
        for (size_t s = 0; s < T; s++)
            bml_nn__cell_step(n, &k, reverse ? T - 1 - s : s, s == 0);
        for (size_t s = n->spec.sequence ? 0 : T - 1; s < T; s++) { /* s counts steps as the cell made them */
            size_t t = reverse ? T - 1 - s : s;
            size_t to = n->spec.sequence ? t : 0;
            const bml_nn_real *h = k.h + (reverse ? t : t + 1) * b * u;
            for (size_t row = 0; row < b; row++)
                memcpy(lane->out[i] + (to * b + row) * out + (size_t)reverse * u, h + row * u, u * sizeof *h);
        }
    }
}

/* Backward through one step: dg from dh (by the state after), then dh becomes its direct part of the state before; what goes
   through the recurrent product is added by the caller. */
static void bml_nn__lstm_back(const bml_nn__cell *k, size_t t, const bml_nn_real *c_before) {
    size_t u = (size_t)k->units;
    size_t b = (size_t)k->b;
    for (size_t row = 0; row < b; row++) {
        const bml_nn_real *BML_NN_RESTRICT g = k->g + (t * b + row) * 4 * u;
        const bml_nn_real *BML_NN_RESTRICT tc = k->aux + (t * b + row) * u;
        const bml_nn_real *BML_NN_RESTRICT cb = c_before + row * u;
        bml_nn_real *BML_NN_RESTRICT d = k->dg + (t * b + row) * 4 * u;
        bml_nn_real *BML_NN_RESTRICT dh = k->dh + row * u;
        bml_nn_real *BML_NN_RESTRICT dc = k->dc + row * u;
        BML_NN__INDEPENDENT
        for (size_t j = 0; j < u; j++) {
            bml_nn_real i = g[j];
            bml_nn_real f = g[u + j];
            bml_nn_real n = g[2 * u + j];
            bml_nn_real o = g[3 * u + j];
            bml_nn_real c = dc[j] + dh[j] * o * (1 - tc[j] * tc[j]);
            d[j] = c * n * i * (1 - i);
            d[u + j] = c * cb[j] * f * (1 - f);
            d[2 * u + j] = c * i * (1 - n * n);
            d[3 * u + j] = dh[j] * tc[j] * o * (1 - o);
            dc[j] = c * f;
            dh[j] = 0;
        }
    }
}

static void bml_nn__gru_back(const bml_nn__cell *k, size_t t, const bml_nn_real *h_before) {
    size_t u = (size_t)k->units;
    size_t b = (size_t)k->b;
    for (size_t row = 0; row < b; row++) {
        const bml_nn_real *BML_NN_RESTRICT g = k->g + (t * b + row) * 3 * u;
        const bml_nn_real *BML_NN_RESTRICT a = k->aux + (t * b + row) * u;
        const bml_nn_real *BML_NN_RESTRICT hb = h_before + row * u;
        bml_nn_real *BML_NN_RESTRICT d = k->dg + (t * b + row) * 3 * u;
        bml_nn_real *BML_NN_RESTRICT e = k->dt + (t * b + row) * 3 * u;
        bml_nn_real *BML_NN_RESTRICT dh = k->dh + row * u;
        BML_NN__INDEPENDENT
        for (size_t j = 0; j < u; j++) {
            bml_nn_real z = g[j];
            bml_nn_real r = g[u + j];
            bml_nn_real n = g[2 * u + j];
            bml_nn_real dn = dh[j] * (1 - z) * (1 - n * n);
            e[j] = d[j] = dh[j] * (hb[j] - n) * z * (1 - z);
            e[u + j] = d[u + j] = dn * a[j] * r * (1 - r);
            d[2 * u + j] = dn;
            e[2 * u + j] = dn * r;
            dh[j] *= z;
        }
    }
}

static void bml_nn__gru_before_back(const bml_nn__cell *k, size_t t, const bml_nn_real *h_before) {
    size_t u = (size_t)k->units;
    size_t b = (size_t)k->b;
    bml_nn_real *d = k->dg + t * b * 3 * u;
    const bml_nn_real *g = k->g + t * b * 3 * u;
    for (size_t row = 0; row < b; row++)
        BML_NN__INDEPENDENT
    for (size_t j = 0; j < u; j++) {
        bml_nn_real z = g[row * 3 * u + j];
        bml_nn_real n = g[row * 3 * u + 2 * u + j];
        bml_nn_real dh = k->dh[row * u + j];
        d[row * 3 * u + j] = dh * (h_before[row * u + j] - n) * z * (1 - z);
        d[row * 3 * u + 2 * u + j] = dh * (1 - z) * (1 - n * n);
    }
    /* t[b][units] = derivative by r * h */
    bml_nn__product(k->t, u, bml_nn__rows(d + 2 * u, 3 * u), bml_nn__rows(k->rt + 2 * u * u, u), b, u, u, 0);
    for (size_t row = 0; row < b; row++)
        BML_NN__INDEPENDENT
    for (size_t j = 0; j < u; j++) {
        bml_nn_real z = g[row * 3 * u + j];
        bml_nn_real r = g[row * 3 * u + u + j];
        bml_nn_real q = k->t[row * u + j];
        d[row * 3 * u + u + j] = q * h_before[row * u + j] * r * (1 - r);
        k->dh[row * u + j] = k->dh[row * u + j] * z + q * r;
    }
}

static void bml_nn__cell_back(const bml_nn__node *n, const bml_nn__cell *k, size_t t, int first) {
    size_t b = (size_t)k->b;
    size_t u = (size_t)k->units;
    size_t G = u * (size_t)k->gates;
    size_t before = k->reverse ? t + 1 : t;
    size_t after = k->reverse ? t : t + 1;
    const bml_nn_real *h_before = k->h + before * b * u;
    bml_nn_real *d = k->dt + t * b * G;
    size_t through = n->spec.kind == BML_NN_GRU && n->spec.reset_before ? 2 * u : G; /* gates fed by h itself */
    if (n->spec.kind == BML_NN_LSTM)
        bml_nn__lstm_back(k, t, k->c + before * b * u);
    else if (n->spec.kind == BML_NN_RNN) {
        memcpy(d, k->dh, b * u * sizeof *d);
        bml_nn__activations[n->spec.activation].back(d, k->h + after * b * u, NULL, b * u, 0);
        memset(k->dh, 0, b * u * sizeof *k->dh);
    } else if (n->spec.reset_before)
        bml_nn__gru_before_back(k, t, h_before);
    else
        bml_nn__gru_back(k, t, h_before);
    if (!first) bml_nn__product(k->dh, u, bml_nn__rows(d, G), bml_nn__rows(k->rt, u), b, u, through, 1);
}

/* Gradients of a cell's tensors, from dg, dt of all steps. */
static void bml_nn__cell_grads(const bml_nn *net, bml_nn__lane *lane, int i, const bml_nn__cell *k,
                               const bml_nn_real *x) {
    const bml_nn__node *n = &net->nodes[i];
    size_t b = (size_t)k->b;
    size_t u = (size_t)k->units;
    size_t G = u * (size_t)k->gates;
    size_t in = (size_t)k->in;
    size_t rows = (size_t)k->steps * b;
    bml_nn_real *gr = bml_nn__grad(net, lane, i, k->reverse * 3 + 1);
    bml_nn_real *gb = bml_nn__grad(net, lane, i, k->reverse * 3 + 2);
    const bml_nn_real *h = k->h + (k->reverse ? b * u : 0); /* the state before every step */
    bml_nn__product(bml_nn__grad(net, lane, i, k->reverse * 3), G, bml_nn__cols(x, in), bml_nn__rows(k->dg, G), in, G,
                    rows, 0);
    bml_nn__column_sums(gb, k->dg, rows, G);
    if (bml_nn__two_sided(&n->spec)) bml_nn__column_sums(gb + G, k->dt, rows, G);
    if (n->spec.kind == BML_NN_GRU && n->spec.reset_before) {
        bml_nn__product(gr, G, bml_nn__cols(h, u), bml_nn__rows(k->dg, G), u, 2 * u, rows, 0);
        bml_nn__product(gr + 2 * u, G, bml_nn__cols(k->aux, u), bml_nn__rows(k->dg + 2 * u, G), u, u, rows, 0);
    } else
        bml_nn__product(gr, G, bml_nn__cols(h, u), bml_nn__rows(k->dt, G), u, G, rows, 0);
}

static void bml_nn__recurrent_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t b = (size_t)lane->b;
    size_t T = (size_t)n->in_steps;
    size_t u = (size_t)n->spec.units;
    size_t out = (size_t)n->out;
    const bml_nn_real *x = lane->out[n->from[0]];
    for (int reverse = 0; reverse <= n->spec.bidirectional; reverse++) {
        bml_nn__cell k = bml_nn__cell_of(net, lane, i, reverse);
        size_t G = u * (size_t)k.gates;
        size_t in = (size_t)k.in;
        bml_nn__transpose(k.rt, k.r, u, G);
        memset(k.dh, 0, b * u * sizeof *k.dh);
        memset(k.dc, 0, b * u * sizeof *k.dc);
        for (size_t s = T; s-- > 0;) {
            size_t t = reverse ? T - 1 - s : s;
            const bml_nn_real *d = lane->d[i] + (n->spec.sequence ? t * b * out : 0) + (size_t)reverse * u;
            if (n->spec.sequence || s == T - 1)
                for (size_t row = 0; row < b; row++)
                    for (size_t j = 0; j < u; j++)
                        k.dh[row * u + j] += d[row * out + j];
            bml_nn__cell_back(n, &k, t, s == 0);
        }
        if (lane->grad) bml_nn__cell_grads(net, lane, i, &k, x);
        if (bml_nn__wants(net, lane, n, 0))
            bml_nn__product(lane->d[n->from[0]], in, bml_nn__rows(k.dg, G), bml_nn__cols(k.w, G), T * b, in, G,
                            reverse || !n->fresh[0]);
    }
}

/* >> layers: convolution and pooling over steps

   Rows of output, chunk by chunk, as products of patches [rows][kernel in] that are gathered in scratch: one scheme for any
   kernel, stride and padding. */

#define BML_NN__CHUNK ((size_t)512)

/* patches[count][kernel in] of output rows `start` ... (row = step b + row in the batch); zeros outside. */
static void bml_nn__gather(bml_nn_real *patch, const bml_nn__node *n, const bml_nn_real *x, size_t b, size_t start,
                           size_t count) {
    size_t in = (size_t)n->in;
    size_t size = in * sizeof *x;
    int pad = n->spec.same ? ((n->steps - 1) * n->spec.stride + n->spec.kernel - n->in_steps) : 0;
    pad = pad > 0 ? pad / 2 : 0;
    for (size_t row = start; row < start + count; row++)
        for (int k = 0; k < n->spec.kernel; k++, patch += in) {
            int t = (int)(row / b) * n->spec.stride + k - pad;
            if (t < 0 || t >= n->in_steps)
                memset(patch, 0, size);
            else
                memcpy(patch, x + ((size_t)t * b + row % b) * in, size);
        }
}

/* The other way: adds patches to dx. */
static void bml_nn__scatter(bml_nn_real *dx, const bml_nn__node *n, const bml_nn_real *patch, size_t b, size_t start,
                            size_t count) {
    size_t in = (size_t)n->in;
    int pad = n->spec.same ? ((n->steps - 1) * n->spec.stride + n->spec.kernel - n->in_steps) : 0;
    pad = pad > 0 ? pad / 2 : 0;
    for (size_t row = start; row < start + count; row++)
        for (int k = 0; k < n->spec.kernel; k++, patch += in) {
            int t = (int)(row / b) * n->spec.stride + k - pad;
            bml_nn_real *to = dx + ((size_t)t * b + row % b) * in;
            if (t >= 0 && t < n->in_steps)
                for (size_t j = 0; j < in; j++)
                    to[j] += patch[j];
        }
}

static void bml_nn__conv_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t b = (size_t)lane->b;
    size_t rows = (size_t)n->steps * b;
    size_t out = (size_t)n->out;
    size_t width = (size_t)n->spec.kernel * (size_t)n->in;
    for (size_t start = 0; start < rows; start += BML_NN__CHUNK) {
        size_t count = rows - start < BML_NN__CHUNK ? rows - start : BML_NN__CHUNK;
        bml_nn_real *y = lane->out[i] + start * out;
        bml_nn_real *before = lane->cache[i];
        bml_nn__gather(lane->scratch, n, lane->out[n->from[0]], b, start, count);
        bml_nn__product(y, out, bml_nn__rows(lane->scratch, width), bml_nn__rows(bml_nn__param(net, i, 0), out), count,
                        out, width, 0);
        bml_nn__activate(n, y, n->cache ? before + start * out : before, bml_nn__param(net, i, 1), count);
    }
}

static void bml_nn__conv_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t b = (size_t)lane->b;
    size_t rows = (size_t)n->steps * b;
    size_t out = (size_t)n->out;
    size_t width = (size_t)n->spec.kernel * (size_t)n->in;
    int wants = bml_nn__wants(net, lane, n, 0);
    bml_nn_real *dx = lane->d[n->from[0]];
    bml_nn__deactivate(n, lane->d[i], lane->out[i], lane->cache[i], rows);
    if (lane->grad) bml_nn__column_sums(bml_nn__grad(net, lane, i, 1), lane->d[i], rows, out);
    if (wants && n->fresh[0]) memset(dx, 0, (size_t)n->in_steps * b * (size_t)n->in * sizeof *dx);
    for (size_t start = 0; start < rows; start += BML_NN__CHUNK) {
        size_t count = rows - start < BML_NN__CHUNK ? rows - start : BML_NN__CHUNK;
        const bml_nn_real *d = lane->d[i] + start * out;
        if (lane->grad) {
            bml_nn__gather(lane->scratch, n, lane->out[n->from[0]], b, start, count);
            bml_nn__product(bml_nn__grad(net, lane, i, 0), out, bml_nn__cols(lane->scratch, width),
                            bml_nn__rows(d, out), width, out, count, start > 0);
        }
        if (!wants) continue;
        bml_nn__product(lane->scratch, width, bml_nn__rows(d, out), bml_nn__cols(bml_nn__param(net, i, 0), out), count,
                        width, out, 0);
        bml_nn__scatter(dx, n, lane->scratch, b, start, count);
    }
}

static void bml_nn__pool_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t step = (size_t)lane->b * (size_t)n->in;
    for (size_t t = 0; t < (size_t)n->steps; t++) {
        const bml_nn_real *x = lane->out[n->from[0]] + t * (size_t)n->spec.stride * step;
        bml_nn_real *BML_NN_RESTRICT y = lane->out[i] + t * step;
        memcpy(y, x, step * sizeof *y);
        for (int k = 1; k < n->spec.kernel; k++)
            for (size_t j = 0; j < step; j++) { /* a NaN wins, so that it is seen */
                bml_nn_real v = x[(size_t)k * step + j];
                y[j] = v > y[j] || v != v ? v : y[j];
            }
    }
}

/* To the first of equal maxima. */
static void bml_nn__pool_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t step = (size_t)lane->b * (size_t)n->in;
    bml_nn_real *dx = lane->d[n->from[0]];
    if (!bml_nn__wants(net, lane, n, 0)) return;
    if (n->fresh[0]) memset(dx, 0, (size_t)n->in_steps * step * sizeof *dx);
    for (size_t t = 0; t < (size_t)n->steps; t++) {
        size_t at = t * (size_t)n->spec.stride * step;
        const bml_nn_real *x = lane->out[n->from[0]] + at;
        const bml_nn_real *y = lane->out[i] + t * step;
        bml_nn_real *d = lane->d[i] + t * step;
        for (int k = 0; k < n->spec.kernel; k++)
            for (size_t j = 0; j < step; j++)
                if (x[(size_t)k * step + j] == y[j]) {
                    dx[at + (size_t)k * step + j] += d[j];
                    d[j] = 0;
                }
    }
}

/* >> layers: normalisation, dropout, shapes */

static const double bml_nn__epsilon = 1e-5, bml_nn__momentum = 0.1; /* of both normalisations, as PyTorch has them */

/* mean[n] and 1/sd[n] of x[rows][n], sums in double; new running values when there is a place for them. */
static void bml_nn__batch_moments(bml_nn_real *mean, bml_nn_real *inverse, bml_nn_real *running, const bml_nn_real *old,
                                  const bml_nn_real *x, size_t rows, size_t n) {
    for (size_t j0 = 0; j0 < n; j0 += 32) {
        size_t m = n - j0 < 32 ? n - j0 : 32;
        double sum[32] = {0};
        double square[32] = {0};
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < m; j++)
                sum[j] += (double)x[i * n + j0 + j];
        for (size_t j = 0; j < m; j++)
            sum[j] /= (double)rows;
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < m; j++)
                square[j] += ((double)x[i * n + j0 + j] - sum[j]) * ((double)x[i * n + j0 + j] - sum[j]);
        for (size_t j = 0; j < m; j++) {
            double v = square[j] / (double)rows;
            double unbiased = square[j] / (double)(rows > 1 ? rows - 1 : 1);
            mean[j0 + j] = (bml_nn_real)sum[j];
            inverse[j0 + j] = (bml_nn_real)(1 / sqrt(v + bml_nn__epsilon));
            running[j0 + j] = (bml_nn_real)((1 - bml_nn__momentum) * (double)old[j0 + j] + bml_nn__momentum * sum[j]);
            running[n + j0 + j] =
                (bml_nn_real)((1 - bml_nn__momentum) * (double)old[n + j0 + j] + bml_nn__momentum * unbiased);
        }
    }
}

/* cache, once: mean and 1/sd. */
static void bml_nn__batch_norm_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t rows = (size_t)n->steps * (size_t)lane->b;
    size_t w = (size_t)n->out;
    size_t at = net->tensors[n->tensor + 2].offset;
    const bml_nn_real *x = lane->out[n->from[0]];
    const bml_nn_real *gamma = bml_nn__param(net, i, 0);
    const bml_nn_real *beta = bml_nn__param(net, i, 1);
    bml_nn_real *mean = lane->cache[i];
    bml_nn_real *inverse = mean + w;
    if (lane->mode == BML_NN__TRAIN)
        bml_nn__batch_moments(mean, inverse, lane->running + at, net->running + at, x, rows, w);
    else
        for (size_t j = 0; j < w; j++) {
            mean[j] = net->running[at + j];
            inverse[j] = (bml_nn_real)(1 / sqrt((double)net->running[at + w + j] + bml_nn__epsilon));
        }
    for (size_t row = 0; row < rows; row++)
        for (size_t j = 0; j < w; j++)
            lane->out[i][row * w + j] = (x[row * w + j] - mean[j]) * inverse[j] * gamma[j] + beta[j];
}

static void bml_nn__batch_norm_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t rows = (size_t)n->steps * (size_t)lane->b;
    size_t w = (size_t)n->out;
    const bml_nn_real *x = lane->out[n->from[0]];
    const bml_nn_real *gamma = bml_nn__param(net, i, 0);
    const bml_nn_real *mean = lane->cache[i];
    const bml_nn_real *inverse = mean + w;
    const bml_nn_real *d = lane->d[i];
    bml_nn_real *dx = lane->d[n->from[0]];
    bml_nn_real *g_gamma = lane->scratch;
    bml_nn_real *g_beta = g_gamma + w;
    int moving = lane->mode == BML_NN__TRAIN; /* mean and sd depend on x */
    memset(g_gamma, 0, 2 * w * sizeof *g_gamma);
    for (size_t row = 0; row < rows; row++)
        for (size_t j = 0; j < w; j++) {
            g_gamma[j] += d[row * w + j] * (x[row * w + j] - mean[j]) * inverse[j];
            g_beta[j] += d[row * w + j];
        }
    if (lane->grad) {
        memcpy(bml_nn__grad(net, lane, i, 0), g_gamma, w * sizeof *g_gamma);
        memcpy(bml_nn__grad(net, lane, i, 1), g_beta, w * sizeof *g_beta);
    }
    if (!bml_nn__wants(net, lane, n, 0)) return;
    for (size_t row = 0; row < rows; row++)
        for (size_t j = 0; j < w; j++) {
            bml_nn_real hat = (x[row * w + j] - mean[j]) * inverse[j];
            bml_nn_real to = d[row * w + j];
            if (moving) to -= (g_beta[j] + hat * g_gamma[j]) / (bml_nn_real)rows;
            to *= gamma[j] * inverse[j];
            dx[row * w + j] = to + (n->fresh[0] ? 0 : dx[row * w + j]);
        }
}

/* cache, per row: 1/sd and mean of each row and step. */
static void bml_nn__layer_norm_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t rows = (size_t)n->steps * (size_t)lane->b;
    size_t w = (size_t)n->out;
    const bml_nn_real *gamma = bml_nn__param(net, i, 0);
    const bml_nn_real *beta = bml_nn__param(net, i, 1);
    for (size_t row = 0; row < rows; row++) {
        const bml_nn_real *x = lane->out[n->from[0]] + row * w;
        bml_nn_real *y = lane->out[i] + row * w;
        bml_nn_real mean = 0;
        bml_nn_real v = 0;
        for (size_t j = 0; j < w; j++)
            mean += x[j];
        mean /= (bml_nn_real)w;
        for (size_t j = 0; j < w; j++)
            v += (x[j] - mean) * (x[j] - mean);
        bml_nn_real inverse = (bml_nn_real)(1 / sqrt((double)v / (double)w + bml_nn__epsilon));
        lane->cache[i][2 * row] = mean;
        lane->cache[i][2 * row + 1] = inverse;
        for (size_t j = 0; j < w; j++)
            y[j] = (x[j] - mean) * inverse * gamma[j] + beta[j];
    }
}

static void bml_nn__layer_norm_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t rows = (size_t)n->steps * (size_t)lane->b;
    size_t w = (size_t)n->out;
    const bml_nn_real *gamma = bml_nn__param(net, i, 0);
    bml_nn_real *g_gamma = lane->scratch;
    bml_nn_real *g_beta = g_gamma + w;
    int wants = bml_nn__wants(net, lane, n, 0);
    memset(g_gamma, 0, 2 * w * sizeof *g_gamma);
    for (size_t row = 0; row < rows; row++) {
        const bml_nn_real *x = lane->out[n->from[0]] + row * w;
        const bml_nn_real *d = lane->d[i] + row * w;
        bml_nn_real mean = lane->cache[i][2 * row];
        bml_nn_real inverse = lane->cache[i][2 * row + 1];
        bml_nn_real a = 0;
        bml_nn_real c = 0;
        for (size_t j = 0; j < w; j++) {
            bml_nn_real hat = (x[j] - mean) * inverse;
            g_gamma[j] += d[j] * hat;
            g_beta[j] += d[j];
            a += d[j] * gamma[j];
            c += d[j] * gamma[j] * hat;
        }
        for (size_t j = 0; wants && j < w; j++) {
            bml_nn_real *dx = lane->d[n->from[0]] + row * w + j;
            bml_nn_real hat = (x[j] - mean) * inverse;
            *dx = (d[j] * gamma[j] - (a + hat * c) / (bml_nn_real)w) * inverse + (n->fresh[0] ? 0 : *dx);
        }
    }
    if (!lane->grad) return;
    memcpy(bml_nn__grad(net, lane, i, 0), g_gamma, w * sizeof *g_gamma);
    memcpy(bml_nn__grad(net, lane, i, 1), g_beta, w * sizeof *g_beta);
}

/* Factors, 0 or 1/(1-rate), of one row: m[(t b + row) w + j] for steps t and features j. Random bits of LOT blocks are made
   side by side, in vector registers; they are those that bml_nn__bits gives. */
static void bml_nn__dropout_row(bml_nn_real *m, const bml_nn__node *n, const bml_nn__lane *lane, int i, size_t row) {
    enum { LOT = BML_NN__LOT, WORDS = 4 * LOT };
    size_t w = (size_t)n->out;
    size_t left = 0;
    size_t block = 0;
    size_t run;
    bml_nn_real factor[WORDS];
    bml_nn_real keep = (bml_nn_real)(1 / (1 - n->spec.rate));
    uint32_t limit = (uint32_t)(n->spec.rate * 4294967295.0);
    uint32_t bits[4][LOT];
    int none = !(n->spec.rate > 0);
    for (size_t t = 0; t < (size_t)n->steps; t++)
        for (size_t j = 0; j < w; j += run, left -= run) {
            if (left == 0) {
                bml_nn__bits_lot(bits, lane, i, lane->first + row, block);
                for (size_t l = 0; l < LOT; l++)
                    for (int k = 0; k < 4; k++)
                        factor[4 * l + (size_t)k] = bits[k][l] <= limit && !none ? 0 : keep;
                block += LOT;
                left = WORDS;
            }
            run = w - j < left ? w - j : left;
            bml_nn_real *to = m + (t * (size_t)lane->b + row) * w + j;
            for (size_t l = 0; l < run; l++)
                to[l] = factor[WORDS - left + l];
        }
}

/* cache: the factor of every number, 0 or 1/(1-rate): the same for a row whatever rows stand beside it. */
static void bml_nn__dropout_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t cells = bml_nn__cells(n, lane);
    const bml_nn_real *x = lane->out[n->from[0]];
    bml_nn_real *y = lane->out[i];
    bml_nn_real *m = lane->cache[i];
    if (lane->mode == BML_NN__PLAIN)
        for (size_t j = 0; j < cells; j++)
            m[j] = 1;
    else
        for (size_t row = 0; row < (size_t)lane->b; row++)
            bml_nn__dropout_row(m, n, lane, i, row);
    for (size_t j = 0; j < cells; j++)
        y[j] = x[j] * m[j];
}

static void bml_nn__dropout_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t cells = bml_nn__cells(n, lane);
    bml_nn_real *dx = lane->d[n->from[0]];
    if (!bml_nn__wants(net, lane, n, 0)) return;
    for (size_t j = 0; j < cells; j++)
        dx[j] = lane->d[i][j] * lane->cache[i][j] + (n->fresh[0] ? 0 : dx[j]);
}

/* Flatten and reshape: a row's numbers stay in order, step by step; only their places among the rows change. back = 1
   adds, or writes, the gradient of what was taken in. */
static void bml_nn__reshape(const bml_nn *net, bml_nn__lane *lane, int i, int back) {
    const bml_nn__node *n = &net->nodes[i];
    size_t b = (size_t)lane->b;
    size_t in = (size_t)n->in;
    size_t out = (size_t)n->out;
    size_t run;
    size_t all = (size_t)n->in_steps * in;
    for (size_t row = 0; row < b; row++)
        for (size_t j = 0; j < all; j += run) {
            size_t from = (j / in * b + row) * in + j % in;
            size_t to = (j / out * b + row) * out + j % out;
            run = in - j % in < out - j % out ? in - j % in : out - j % out;
            if (!back)
                memcpy(lane->out[i] + to, lane->out[n->from[0]] + from, run * sizeof(bml_nn_real));
            else
                for (size_t k = 0; k < run; k++)
                    lane->d[n->from[0]][from + k] =
                        lane->d[i][to + k] + (n->fresh[0] ? 0 : lane->d[n->from[0]][from + k]);
        }
}

static void bml_nn__reshape_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    bml_nn__reshape(net, lane, i, 0);
}

static void bml_nn__reshape_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    if (bml_nn__wants(net, lane, &net->nodes[i], 0)) bml_nn__reshape(net, lane, i, 1);
}

static void bml_nn__concat_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t rows = (size_t)n->steps * (size_t)lane->b;
    size_t out = (size_t)n->out;
    size_t at = 0;
    for (int k = 0; k < n->n_from; k++) {
        size_t w = (size_t)net->nodes[n->from[k]].out;
        for (size_t row = 0; row < rows; row++)
            memcpy(lane->out[i] + row * out + at, lane->out[n->from[k]] + row * w, w * sizeof(bml_nn_real));
        at += w;
    }
}

static void bml_nn__add_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t all = (size_t)n->steps * (size_t)lane->b * (size_t)n->out;
    bml_nn_real *BML_NN_RESTRICT out = lane->out[i];
    memcpy(out, lane->out[n->from[0]], all * sizeof *out);
    for (int k = 1; k < n->n_from; k++) {
        const bml_nn_real *BML_NN_RESTRICT in = lane->out[n->from[k]];
        for (size_t j = 0; j < all; j++)
            out[j] += in[j];
    }
}

static void bml_nn__add_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t all = (size_t)n->steps * (size_t)lane->b * (size_t)n->out;
    for (int k = 0; k < n->n_from; k++) {
        bml_nn_real *BML_NN_RESTRICT dx = lane->d[n->from[k]];
        const bml_nn_real *BML_NN_RESTRICT dy = lane->d[i];
        if (!bml_nn__wants(net, lane, n, k)) continue;
        if (n->fresh[k])
            memcpy(dx, dy, all * sizeof *dx);
        else
            for (size_t j = 0; j < all; j++)
                dx[j] += dy[j];
    }
}

static void bml_nn__concat_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    size_t rows = (size_t)n->steps * (size_t)lane->b;
    size_t out = (size_t)n->out;
    size_t at = 0;
    for (int k = 0; k < n->n_from; k++) {
        size_t w = (size_t)net->nodes[n->from[k]].out;
        bml_nn_real *dx = lane->d[n->from[k]];
        for (size_t row = 0; row < rows && bml_nn__wants(net, lane, n, k); row++)
            for (size_t j = 0; j < w; j++)
                dx[row * w + j] = lane->d[i][row * out + at + j] + (n->fresh[k] ? 0 : dx[row * w + j]);
        at += w;
    }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

/* >> planning: shapes, tensors and memory of each layer */

static int bml_nn__bad(bml_nn *net, int i, const char *why) {
    return bml_nn__fail(net->message, BML_NN_BAD_LAYER, "layer %d (%s): %s", i, net->nodes[i].name, why);
}

/* Declares the next tensor of layer i: how it starts, its shape (0: no such dimension). 0 if sizes overflow. */
static int bml_nn__declare(bml_nn *net, int i, const char *what, int start, int a, int b, int c) {
    bml_nn__tensor *t = &net->tensors[net->n_tensors++];
    size_t *total = start >= BML_NN__MEAN ? &net->n_running : &net->n_params;
    t->node = i;
    t->what = what;
    t->start = start;
    t->running = start >= BML_NN__MEAN;
    t->rank = c ? 3 : b ? 2 : 1;
    t->shape[0] = (size_t)a;
    t->shape[1] = (size_t)b;
    t->shape[2] = (size_t)c;
    t->fan_in = (double)a * (c ? (double)b : 1);
    t->fan_out = c ? (double)a * (double)c : (double)b;
    t->offset = *total;
    if (!bml_nn__mul(&t->count, t->shape[0], b ? t->shape[1] : 1) ||
        !bml_nn__mul(&t->count, t->count, c ? t->shape[2] : 1))
        return 0;
    net->nodes[i].n_tensors++;
    return bml_nn__add_mul(total, t->count, 1) && *total <= (size_t)-1 / 64;
}

/* Layers take one source unless they are CONCAT or ADD; each plan sets `steps`, `out` and memory from in_steps and in. */

static int bml_nn__plan_input(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    if (n->spec.features < 1 || n->spec.steps < 0)
        return bml_nn__bad(net, i, "needs .features of 1 or more and .steps of 0 or more");
    n->is_sequence = n->spec.steps > 0;
    n->steps = n->is_sequence ? n->spec.steps : 1;
    n->out = n->spec.features;
    n->input_offset = net->n_in;
    return bml_nn__add_mul(&net->n_in, (size_t)n->steps, (size_t)n->out) ? BML_NN_OK : BML_NN_TOO_LARGE;
}

static int bml_nn__plan_units(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    if (n->spec.units < 1) return bml_nn__bad(net, i, "needs .units of 1 or more");
    if (n->spec.activation < 0 || n->spec.activation >= BML_NN_N_ACTIVATIONS)
        return bml_nn__bad(net, i, "no such activation");
    if (!(n->spec.slope >= 0 && n->spec.slope < 1)) return bml_nn__bad(net, i, ".slope must lie in [0,1)");
    if (n->spec.slope == 0) n->spec.slope = 0.01;
    n->out = n->spec.units;
    n->cache = bml_nn__activations[n->spec.activation].needs_x ? (size_t)n->steps * (size_t)n->out : 0;
    return BML_NN_OK;
}

static int bml_nn__plan_dense(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    int status = bml_nn__plan_units(net, i);
    if (status) return status;
    return bml_nn__declare(net, i, "kernel", BML_NN__KERNEL, n->in, n->out, 0) &&
                   bml_nn__declare(net, i, "bias", BML_NN__ZERO, n->out, 0, 0)
               ? BML_NN_OK
               : BML_NN_TOO_LARGE;
}

static int bml_nn__plan_bayes(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    int status = bml_nn__plan_dense(net, i);
    size_t in = (size_t)n->in;
    size_t out = (size_t)n->out;
    if (status) return status;
    if (!(n->spec.prior_sd >= 0 && n->spec.prior_sd < HUGE_VAL))
        return bml_nn__bad(net, i, ".prior_sd must be positive and finite");
    if (n->spec.prior_sd == 0) n->spec.prior_sd = 1;
    n->cache = (size_t)n->steps * (in + 1 + 2 * out);
    n->cache_fixed = 2 * (in + 1) * out;
    n->scratch = (size_t)n->steps * (in + out);
    return bml_nn__declare(net, i, "kernel_rho", BML_NN__RHO, n->in, n->out, 0) &&
                   bml_nn__declare(net, i, "bias_rho", BML_NN__RHO, n->out, 0, 0)
               ? BML_NN_OK
               : BML_NN_TOO_LARGE;
}

static int bml_nn__plan_recurrent(bml_nn *net, int i) {
    static const char *const names[2][3] = {{"kernel", "recurrent", "bias"},
                                            {"kernel_reverse", "recurrent_reverse", "bias_reverse"}};
    bml_nn__node *n = &net->nodes[i];
    bml_nn_layer *l = &n->spec;
    int directions = l->bidirectional ? 2 : 1;
    size_t T = (size_t)n->in_steps;
    size_t u = (size_t)l->units;
    if (!n->is_sequence) return bml_nn__bad(net, i, "takes a sequence, and its source is a vector");
    if (l->units < 1 || l->units > 0x7FFFFFFF / 8) return bml_nn__bad(net, i, "needs .units of 1 or more");
    if (l->kind == BML_NN_RNN && l->activation == 0) l->activation = BML_NN_TANH;
    if (l->activation != 0 &&
        !(l->kind == BML_NN_RNN && (l->activation == BML_NN_TANH || l->activation == BML_NN_RELU)))
        return bml_nn__bad(net, i, "only RNN has a choice of activation: tanh or ReLU");
    l->bidirectional = directions - 1;
    l->sequence = l->sequence != 0;
    l->reset_before = l->kind == BML_NN_GRU && l->reset_before;
    int G = l->units * bml_nn__gates(l);
    n->out = directions * l->units;
    n->is_sequence = l->sequence;
    n->steps = l->sequence ? n->in_steps : 1;
    size_t per_step = (size_t)G + u * (l->kind == BML_NN_LSTM ? 3u : l->kind == BML_NN_GRU ? 2u : 1u);
    n->cache = (size_t)directions * (T * per_step + u * (l->kind == BML_NN_LSTM ? 2u : 1u));
    n->dcache = (size_t)directions * T * (size_t)G * (bml_nn__two_sided(l) ? 2u : 1u);
    n->scratch = (size_t)G + 2 * u;
    n->scratch_fixed = (size_t)G * u;
    for (int reverse = 0; reverse < directions; reverse++)
        if (!bml_nn__declare(net, i, names[reverse][0], BML_NN__KERNEL, n->in, G, 0) ||
            !bml_nn__declare(net, i, names[reverse][1], BML_NN__ORTHOGONAL, l->units, G, 0) ||
            !(bml_nn__two_sided(l) ? bml_nn__declare(net, i, names[reverse][2], BML_NN__ZERO, 2, G, 0)
                                   : bml_nn__declare(net, i, names[reverse][2],
                                                     l->kind == BML_NN_LSTM ? BML_NN__FORGET : BML_NN__ZERO, G, 0, 0)))
            return BML_NN_TOO_LARGE;
    return BML_NN_OK;
}

static int bml_nn__plan_conv(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    int status = bml_nn__plan_units(net, i);
    if (status) return status;
    if (!n->is_sequence) return bml_nn__bad(net, i, "takes a sequence, and its source is a vector");
    if (n->spec.stride == 0) n->spec.stride = 1;
    int S = n->spec.stride;
    if (n->spec.kernel < 1 || S < 1) return bml_nn__bad(net, i, "needs .kernel and .stride of 1 or more");
    if (!n->spec.same && n->spec.kernel > n->in_steps)
        return bml_nn__bad(net, i, "its kernel is longer than the sequence");
    n->steps = n->spec.same ? (n->in_steps - 1) / S + 1 : (n->in_steps - n->spec.kernel) / S + 1;
    n->cache = bml_nn__activations[n->spec.activation].needs_x ? (size_t)n->steps * (size_t)n->out : 0;
    size_t width;
    if (!bml_nn__mul(&width, (size_t)n->spec.kernel, (size_t)n->in) || width > 0x7FFFFFFF / BML_NN__CHUNK)
        return BML_NN_TOO_LARGE;
    n->scratch_fixed = width * BML_NN__CHUNK;
    return bml_nn__declare(net, i, "kernel", BML_NN__KERNEL, n->spec.kernel, n->in, n->out) &&
                   bml_nn__declare(net, i, "bias", BML_NN__ZERO, n->out, 0, 0)
               ? BML_NN_OK
               : BML_NN_TOO_LARGE;
}

static int bml_nn__plan_pool(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    if (!n->is_sequence) return bml_nn__bad(net, i, "takes a sequence, and its source is a vector");
    if (n->spec.kernel == 0) n->spec.kernel = 2;
    if (n->spec.stride == 0) n->spec.stride = n->spec.kernel;
    if (n->spec.kernel < 1 || n->spec.stride < 1) return bml_nn__bad(net, i, "needs .kernel and .stride of 1 or more");
    if (n->spec.kernel > n->in_steps) return bml_nn__bad(net, i, "its window is longer than the sequence");
    n->steps = (n->in_steps - n->spec.kernel) / n->spec.stride + 1;
    return BML_NN_OK;
}

static int bml_nn__plan_norm(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    int ok = bml_nn__declare(net, i, "gamma", BML_NN__ONE, n->out, 0, 0) &&
             bml_nn__declare(net, i, "beta", BML_NN__ZERO, n->out, 0, 0);
    if (n->spec.kind == BML_NN_BATCH_NORM) {
        ok = ok && bml_nn__declare(net, i, "mean", BML_NN__MEAN, n->out, 0, 0) &&
             bml_nn__declare(net, i, "variance", BML_NN__VARIANCE, n->out, 0, 0);
        n->cache_fixed = 2 * (size_t)n->out;
    } else
        n->cache = 2 * (size_t)n->steps;
    n->scratch_fixed = 2 * (size_t)n->out;
    return ok ? BML_NN_OK : BML_NN_TOO_LARGE;
}

static int bml_nn__plan_dropout(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    if (!(n->spec.rate >= 0 && n->spec.rate < 1)) return bml_nn__bad(net, i, ".rate must lie in [0,1)");
    n->cache = (size_t)n->steps * (size_t)n->out;
    return BML_NN_OK;
}

static int bml_nn__plan_reshape(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    size_t have = (size_t)n->in_steps * (size_t)n->in;
    if (n->spec.kind == BML_NN_FLATTEN) {
        if (have > 0x7FFFFFFF) return BML_NN_TOO_LARGE;
        n->steps = 1;
        n->out = (int)have;
        n->is_sequence = 0;
        return BML_NN_OK;
    }
    if (n->spec.features < 1 || n->spec.steps < 0)
        return bml_nn__bad(net, i, "needs .features of 1 or more and .steps of 0 or more");
    n->is_sequence = n->spec.steps > 0;
    n->steps = n->is_sequence ? n->spec.steps : 1;
    n->out = n->spec.features;
    size_t want;
    if (!bml_nn__mul(&want, (size_t)n->steps, (size_t)n->out) || want != have)
        return bml_nn__bad(net, i, "another number of values than its source has");
    return BML_NN_OK;
}

static int bml_nn__plan_concat(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    if (n->n_from < 2) return bml_nn__bad(net, i, "needs two or more layers in .from");
    n->out = 0;
    for (int k = 0; k < n->n_from; k++) {
        const bml_nn__node *s = &net->nodes[n->from[k]];
        if (s->steps != n->steps || s->is_sequence != n->is_sequence)
            return bml_nn__bad(net, i, "its sources differ in steps, or one is a vector and one a sequence");
        if (s->out > 0x7FFFFFFF - n->out) return BML_NN_TOO_LARGE;
        n->out += s->out;
    }
    return BML_NN_OK;
}

static int bml_nn__plan_add(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    if (n->n_from < 2) return bml_nn__bad(net, i, "needs two or more layers in .from");
    n->out = n->in;
    for (int k = 1; k < n->n_from; k++) {
        const bml_nn__node *s = &net->nodes[n->from[k]];
        if (s->steps != n->steps || s->is_sequence != n->is_sequence || s->out != n->out)
            return bml_nn__bad(net, i, "its sources differ in shape");
    }
    return BML_NN_OK;
}

typedef void (*bml_nn__pass)(const bml_nn *net, bml_nn__lane *lane, int i);
typedef struct bml_nn__kind {
    const char *name;
    int (*plan)(bml_nn *net, int i);
    bml_nn__pass forward, backward;
} bml_nn__kind;

static const bml_nn__kind bml_nn__kinds[BML_NN_N_KINDS] = {
    {"input", bml_nn__plan_input, NULL, NULL},
    {"dense", bml_nn__plan_dense, bml_nn__dense_forward, bml_nn__dense_backward},
    {"gru", bml_nn__plan_recurrent, bml_nn__recurrent_forward, bml_nn__recurrent_backward},
    {"lstm", bml_nn__plan_recurrent, bml_nn__recurrent_forward, bml_nn__recurrent_backward},
    {"rnn", bml_nn__plan_recurrent, bml_nn__recurrent_forward, bml_nn__recurrent_backward},
    {"conv", bml_nn__plan_conv, bml_nn__conv_forward, bml_nn__conv_backward},
    {"pool", bml_nn__plan_pool, bml_nn__pool_forward, bml_nn__pool_backward},
    {"dropout", bml_nn__plan_dropout, bml_nn__dropout_forward, bml_nn__dropout_backward},
    {"flatten", bml_nn__plan_reshape, bml_nn__reshape_forward, bml_nn__reshape_backward},
    {"reshape", bml_nn__plan_reshape, bml_nn__reshape_forward, bml_nn__reshape_backward},
    {"concat", bml_nn__plan_concat, bml_nn__concat_forward, bml_nn__concat_backward},
    {"batch_norm", bml_nn__plan_norm, bml_nn__batch_norm_forward, bml_nn__batch_norm_backward},
    {"layer_norm", bml_nn__plan_norm, bml_nn__layer_norm_forward, bml_nn__layer_norm_backward},
    {"bayes", bml_nn__plan_bayes, bml_nn__bayes_forward, bml_nn__bayes_backward},
    {"add", bml_nn__plan_add, bml_nn__add_forward, bml_nn__add_backward}};

static int bml_nn__find(const bml_nn *net, const char *name, int before) {
    for (int i = 0; i < before; i++)
        if (!strcmp(net->nodes[i].name, name)) return i;
    return -1;
}

/* A name: letters, digits, _ and -, shorter than `room`. */
static int bml_nn__good_name(const char *name, size_t room) {
    size_t n = strlen(name);
    return n > 0 && n < room && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == n;
}

/* Name and sources of layer i. */
static int bml_nn__connect(bml_nn *net, int i, const bml_nn_layer *spec) {
    bml_nn__node *n = &net->nodes[i];
    if (spec->kind < 0 || spec->kind >= BML_NN_N_KINDS)
        return bml_nn__fail(net->message, BML_NN_BAD_LAYER, "layer %d: no such kind, %d", i, spec->kind);
    n->spec = *spec;
    n->spec.name = NULL;
    int k;
    for (k = 0; k < BML_NN_MAX_FROM; k++)
        n->spec.from[k] = NULL;
    if (spec->name && !bml_nn__good_name(spec->name, BML_NN_MAX_NAME))
        return bml_nn__fail(net->message, BML_NN_BAD_LAYER, "layer %d: a name is 1 to %d letters, digits, _ or -", i,
                            BML_NN_MAX_NAME - 1);
    if (spec->name)
        memcpy(n->name, spec->name, strlen(spec->name) + 1);
    else
        snprintf(n->name, sizeof n->name, "%s_%d", bml_nn__kinds[spec->kind].name, i);
    if (bml_nn__find(net, n->name, i) >= 0) return bml_nn__bad(net, i, "another layer has that name");
    for (k = 0; k < BML_NN_MAX_FROM && spec->from[k]; k++) {
        n->from[k] = bml_nn__find(net, spec->from[k], i);
        if (n->from[k] < 0)
            return bml_nn__fail(net->message, BML_NN_BAD_LAYER,
                                "layer %d (%s): takes \"%.40s\", which is no layer before it", i, n->name,
                                spec->from[k]);
        for (int j = 0; j < k; j++)
            if (n->from[j] == n->from[k]) return bml_nn__bad(net, i, "takes one layer twice");
    }
    n->n_from = k;
    if (n->spec.kind == BML_NN_INPUT) return k ? bml_nn__bad(net, i, "an input takes nothing") : BML_NN_OK;
    if (i == 0) return bml_nn__bad(net, i, "the first layer must be an input");
    if (k == 0) n->from[n->n_from++] = i - 1;
    if (n->n_from > 1 && n->spec.kind != BML_NN_CONCAT && n->spec.kind != BML_NN_ADD)
        return bml_nn__bad(net, i, "takes more than one layer: put a concat or an add before it");
    return BML_NN_OK;
}

/* On the way back the last layer that takes i is the first to write its gradient; the others add. */
static int bml_nn__check_use(bml_nn *net) {
    for (int i = 0; i < net->n_nodes - 1; i++) {
        int used = 0;
        for (int j = net->n_nodes - 1; j > i; j--)
            for (int k = 0; k < net->nodes[j].n_from; k++)
                if (net->nodes[j].from[k] == i) {
                    net->nodes[j].fresh[k] = !used;
                    used = 1;
                }
        if (!used) return bml_nn__bad(net, i, "is not used by any layer");
    }
    return BML_NN_OK;
}

/* >> making a net */

/* Rows (or, if there are more rows than columns, columns) of w[m][n] orthonormal, from normal numbers (modified Gram &
   Schmidt, done twice, which is enough: Giraud et al. 2005). */
static void bml_nn__orthogonal(bml_nn_real *w, size_t m, size_t n, bml_nn_rng *rng) {
    size_t count = m < n ? m : n;
    size_t length = m < n ? n : m;
    size_t step = m < n ? 1 : n;
    size_t next = m < n ? n : 1;
    for (size_t i = 0; i < m * n; i++)
        w[i] = (bml_nn_real)bml_nn_rng_normal(rng);
    for (size_t i = 0; i < count; i++) {
        bml_nn_real *v = w + i * next;
        double norm = 0;
        for (int twice = 0; twice < 2; twice++)
            for (size_t j = 0; j < i; j++) {
                const bml_nn_real *u = w + j * next;
                double dot = 0;
                for (size_t k = 0; k < length; k++)
                    dot += (double)u[k * step] * (double)v[k * step];
                for (size_t k = 0; k < length; k++)
                    v[k * step] -= (bml_nn_real)(dot * (double)u[k * step]);
            }
        for (size_t k = 0; k < length; k++)
            norm += (double)v[k * step] * (double)v[k * step];
        for (size_t k = 0; k < length; k++)
            v[k * step] = (bml_nn_real)((double)v[k * step] / sqrt(norm));
    }
}

static void bml_nn__start_tensor(bml_nn *net, int k, uint64_t seed) {
    const bml_nn__tensor *t = &net->tensors[k];
    const bml_nn_layer *l = &net->nodes[t->node].spec;
    bml_nn_real *w = (t->running ? net->running : net->params) + t->offset;
    double limit = l->init == BML_NN_HE ? sqrt(6 / t->fan_in) : sqrt(6 / (t->fan_in + t->fan_out));
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, seed, (uint64_t)k);
    if (t->start == BML_NN__ORTHOGONAL) {
        bml_nn__orthogonal(w, t->shape[0], t->shape[1], &rng);
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        double v = t->start == BML_NN__ONE || t->start == BML_NN__VARIANCE ? 1 : 0;
        if (t->start == BML_NN__KERNEL) v = limit * (2 * bml_nn_rng_uniform(&rng) - 1);
        if (t->start == BML_NN__FORGET) v = i / (size_t)l->units == 1 ? 1 : 0;
        if (t->start == BML_NN__RHO) /* sd = 0.05 of the kernel's start, log(1 + e^rho) = sd */
            v = log(expm1(0.05 * sqrt(2 / (double)(net->nodes[t->node].in + net->nodes[t->node].out))));
        w[i] = (bml_nn_real)v;
    }
}

static int bml_nn__plan_net(bml_nn *net, const bml_nn_config *config) {
    for (int i = 0; i < config->n_layers; i++) {
        bml_nn__node *n = &net->nodes[i];
        net->n_nodes = i + 1;
        int status = bml_nn__connect(net, i, &config->layers[i]);
        if (status) return status;
        n->tensor = net->n_tensors;
        if (n->n_from) {
            const bml_nn__node *s = &net->nodes[n->from[0]];
            n->in_steps = n->steps = s->steps;
            n->in = n->out = s->out;
            n->is_sequence = s->is_sequence;
        }
        status = bml_nn__kinds[n->spec.kind].plan(net, i);
        if (status == BML_NN_TOO_LARGE)
            return bml_nn__fail(net->message, status, "layer %d (%s) is too large", i, n->name);
        if (status) return status;
    }
    if (net->nodes[net->n_nodes - 1].spec.kind == BML_NN_INPUT)
        return bml_nn__bad(net, net->n_nodes - 1, "the last layer, the output, is an input");
    if (!bml_nn__mul(&net->n_out, (size_t)net->nodes[net->n_nodes - 1].steps, (size_t)net->nodes[net->n_nodes - 1].out))
        return bml_nn__fail(net->message, BML_NN_TOO_LARGE, "the output is too large");
    return bml_nn__check_use(net);
}

/* Plans a net with at most `most` parameters, its weights zero. */
static int bml_nn__plan_within(bml_nn *net, const bml_nn_config *config, size_t most) {
    if (!config || !config->layers || config->n_layers < 2 || config->n_layers > BML_NN__MAX_LAYERS)
        return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "a net has 2 to %d layers", BML_NN__MAX_LAYERS);
    net->nodes = (bml_nn__node *)bml_nn__alloc((size_t)config->n_layers, sizeof *net->nodes);
    net->tensors = (bml_nn__tensor *)bml_nn__alloc((size_t)config->n_layers * 6, sizeof *net->tensors);
    if (!net->nodes || !net->tensors)
        return bml_nn__fail(net->message, BML_NN_NO_MEMORY, "%d layers", config->n_layers);
    int status = bml_nn__plan_net(net, config);
    if (status) return status;
    if (net->n_params > most || net->n_running > most)
        return bml_nn__fail(net->message, BML_NN_MISMATCH, "the layers have %.0f parameters, more than the file holds",
                            (double)net->n_params);
    net->params = bml_nn__reals(net->n_params);
    net->running = bml_nn__reals(net->n_running);
    if (!net->params || !net->running)
        return bml_nn__fail(net->message, BML_NN_NO_MEMORY, "%.0f parameters", (double)net->n_params);
#if defined(BML_NN_USE_CBLAS) && defined(OPENBLAS_VERSION)
    openblas_set_num_threads(1);
#endif
    return BML_NN_OK;
}

static int bml_nn__make(bml_nn **out, const bml_nn_config *config, size_t most, char *why) {
    if (!out) return bml_nn__reason(why, BML_NN_BAD_ARGUMENT, "no place for the net");
    *out = NULL;
    bml_nn *net = (bml_nn *)bml_nn__alloc(1, sizeof *net);
    if (!net) return bml_nn__reason(why, BML_NN_NO_MEMORY, NULL);
    int status = bml_nn__plan_within(net, config, most);
    bml_nn__reason(why, status, net->message);
    if (status)
        bml_nn_free(net);
    else
        *out = net;
    return status;
}

BML_NN_DEF int bml_nn_create(bml_nn **out, const bml_nn_config *config, char *why) {
    int status = bml_nn__make(out, config, (size_t)-1, why);
    for (int i = 0; !status && i < (*out)->n_tensors; i++)
        bml_nn__start_tensor(*out, i, config->seed);
    return status;
}

BML_NN_DEF void bml_nn_free(bml_nn *net) {
    if (!net) return;
    while (net->extras) {
        bml_nn__extra *e = net->extras;
        net->extras = e->next;
        BML_NN_FREE(e->text);
        BML_NN_FREE(e->values);
        BML_NN_FREE(e);
    }
    BML_NN_FREE(net->nodes);
    BML_NN_FREE(net->tensors);
    BML_NN_FREE(net->params);
    BML_NN_FREE(net->running);
    BML_NN_FREE(net->shift[0]);
    BML_NN_FREE(net->shift[1]);
    BML_NN_FREE(net->scale[0]);
    BML_NN_FREE(net->scale[1]);
    BML_NN_FREE(net);
}

BML_NN_DEF bml_nn_real *bml_nn_tensor(bml_nn *net, const char *name, size_t *count) {
    if (count) *count = 0;
    if (!net || !net->params || !name) return NULL;
    for (int i = 0; i < net->n_tensors; i++) {
        const bml_nn__tensor *t = &net->tensors[i];
        const char *layer = net->nodes[t->node].name;
        size_t n = strlen(layer);
        if (strncmp(name, layer, n) || name[n] != '.' || strcmp(name + n + 1, t->what)) continue;
        if (count) *count = t->count;
        return (t->running ? net->running : net->params) + t->offset;
    }
    return NULL;
}

/* snprintf at the end of a text that may be full; counts on. */
BML_NN__PRINTF(4, 5) static void bml_nn__append(char *text, size_t size, size_t *used, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n =
        vsnprintf(text && *used < size ? text + *used : NULL, text && *used < size ? size - *used : 0, format, args);
    va_end(args);
    if (n > 0) *used += (size_t)n;
}

BML_NN_DEF size_t bml_nn_summary(char *text, size_t size, const bml_nn *net) {
    size_t used = 0;
    char shape[48];
    if (!net || !net->params) return 0;
    bml_nn__append(text, size, &used, "%-20s %-11s %-15s %10s  %s\n", "layer", "kind", "output", "parameters", "takes");
    size_t params;
    int k;
    for (int i = 0; i < net->n_nodes; i++) {
        const bml_nn__node *n = &net->nodes[i];
        for (params = 0, k = n->tensor; k < n->tensor + n->n_tensors; k++)
            params += net->tensors[k].running ? 0 : net->tensors[k].count;
        if (n->is_sequence)
            snprintf(shape, sizeof shape, "%d x %d", n->steps, n->out);
        else
            snprintf(shape, sizeof shape, "%d", n->out);
        bml_nn__append(text, size, &used, "%-20s %-11s %-15s %10.0f ", n->name, bml_nn__kinds[n->spec.kind].name, shape,
                       (double)params);
        for (k = 0; k < n->n_from; k++)
            bml_nn__append(text, size, &used, " %s", net->nodes[n->from[k]].name);
        bml_nn__append(text, size, &used, "\n");
    }
    bml_nn__append(text, size, &used, "%.0f parameters, %.0f numbers in, %.0f out\n", (double)net->n_params,
                   (double)net->n_in, (double)net->n_out);
    return used;
}

/* >> scaling, texts and arrays */

BML_NN_DEF int bml_nn_set_scaler(bml_nn *net, int which, const bml_nn_real *shift, const bml_nn_real *scale) {
    if (!net || !net->params) return BML_NN_BAD_ARGUMENT;
    if ((which != BML_NN_INPUTS && which != BML_NN_OUTPUTS) || !shift || !scale)
        return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT,
                            "a scaler is of inputs or of outputs, and needs shift and scale");
    size_t n = which == BML_NN_INPUTS ? net->n_in : net->n_out;
    for (size_t i = 0; i < n; i++)
        if (!isfinite(shift[i]) || !(scale[i] > 0) || !isfinite(scale[i]))
            return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT,
                                "scaler column %.0f: shift must be finite, scale positive", (double)i);
    bml_nn_real *a = bml_nn__reals(n);
    bml_nn_real *b = bml_nn__reals(n);
    if (!a || !b) {
        BML_NN_FREE(a);
        BML_NN_FREE(b);
        return bml_nn__fail(net->message, BML_NN_NO_MEMORY, "a scaler");
    }
    memcpy(a, shift, n * sizeof *a);
    memcpy(b, scale, n * sizeof *b);
    BML_NN_FREE(net->shift[which]);
    BML_NN_FREE(net->scale[which]);
    net->shift[which] = a;
    net->scale[which] = b;
    return BML_NN_OK;
}

/* shift and scale of one run of values: every `stride`-th from the first. */
static void bml_nn__fit_column(bml_nn_real *shift, bml_nn_real *scale, int kind, const bml_nn_real *data, size_t count,
                               size_t stride) {
    double sum = 0;
    double square = 0;
    double low = (double)data[0];
    double high = low;
    for (size_t i = 0; i < count; i++) {
        double v = (double)data[i * stride];
        sum += v;
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    sum /= (double)count;
    for (size_t i = 0; i < count; i++)
        square += ((double)data[i * stride] - sum) * ((double)data[i * stride] - sum);
    *shift = (bml_nn_real)(kind == BML_NN_STANDARD ? sum : low);
    *scale = (bml_nn_real)(kind == BML_NN_STANDARD ? sqrt(square / (double)count) : high - low);
    if (!(*scale > 0) || !(high > low)) *scale = 1;
}

BML_NN_DEF int bml_nn_fit_scaler(bml_nn *net, int which, int kind, const bml_nn_real *data, size_t n) {
    int status = BML_NN_NO_MEMORY;
    if (!net || !net->params) return BML_NN_BAD_ARGUMENT;
    if ((which != BML_NN_INPUTS && which != BML_NN_OUTPUTS) || kind < 0 || kind > BML_NN_MIN_MAX_ALL || !data || !n)
        return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "a scaler needs rows, which side it is for, and a kind");
    size_t m = which == BML_NN_INPUTS ? net->n_in : net->n_out;
    for (size_t i = 0; i < n * m; i++)
        if (!isfinite(data[i]))
            return bml_nn__fail(net->message, BML_NN_BAD_DATA, "row %.0f, column %.0f is not finite", (double)(i / m),
                                (double)(i % m));
    bml_nn_real *shift = bml_nn__reals(m);
    bml_nn_real *scale = bml_nn__reals(m);
    if (shift && scale) {
        for (size_t i = 0; i < m; i++) {
            if (kind != BML_NN_MIN_MAX_ALL)
                bml_nn__fit_column(&shift[i], &scale[i], kind, data + i, n, m);
            else if (i == 0)
                bml_nn__fit_column(shift, scale, kind, data, n * m, 1);
            else {
                shift[i] = shift[0];
                scale[i] = scale[0];
            }
        }
        status = bml_nn_set_scaler(net, which, shift, scale);
    }
    BML_NN_FREE(shift);
    BML_NN_FREE(scale);
    return status;
}

static bml_nn__extra *bml_nn__find_extra(const bml_nn *net, const char *name) {
    bml_nn__extra *e = net && name ? net->extras : NULL;
    while (e && strcmp(e->name, name))
        e = e->next;
    return e;
}

/* Bytes of the well-formed UTF-8 character at p, 0 if it is none. */
static size_t bml_nn__utf8_length(const unsigned char *p, size_t left) {
    size_t n = *p < 0x80                 ? 1
               : *p >= 0xC2 && *p < 0xE0 ? 2
               : *p >= 0xE0 && *p < 0xF0 ? 3
               : *p >= 0xF0 && *p < 0xF5 ? 4
                                         : 0;
    if (!n || n > left) return 0;
    for (size_t k = 1; k < n; k++)
        if ((p[k] & 0xC0) != 0x80) return 0;
    if ((*p == 0xE0 && p[1] < 0xA0) || (*p == 0xED && p[1] > 0x9F) || (*p == 0xF0 && p[1] < 0x90) ||
        (*p == 0xF4 && p[1] > 0x8F))
        return 0;
    return n;
}

/* A text or an array under a name, copied. */
static int bml_nn__set_extra(bml_nn *net, const char *name, const char *text, const bml_nn_real *values, size_t n) {
    bml_nn__extra *e = bml_nn__find_extra(net, name);
    char *t = NULL;
    bml_nn_real *v = NULL;
    if (!net || !net->params) return BML_NN_BAD_ARGUMENT;
    if (!name || !bml_nn__good_name(name, BML_NN__MAX_KEY) || !strncmp(name, "bml_nn", 6) || (!text && (!values || !n)))
        return bml_nn__fail(
            net->message, BML_NN_BAD_ARGUMENT,
            "what travels with a net needs a name of letters, digits, _ or -, not bml_nn..., and a value");
    const char *at;
    size_t i;
    size_t length;
    for (i = text ? strlen(text) : 0, at = text; i > 0; i -= length, at += length)
        if ((length = bml_nn__utf8_length((const unsigned char *)at, i)) == 0)
            return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "\"%s\" is not UTF-8", name);
    for (i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "\"%s\": value %.0f is not finite", name, (double)i);
    if (text)
        t = bml_nn__copy_text(text);
    else if ((v = bml_nn__reals(n)) != NULL)
        memcpy(v, values, n * sizeof *v);
    if (!e && (t || v) && (e = (bml_nn__extra *)bml_nn__alloc(1, sizeof *e)) != NULL) {
        memcpy(e->name, name, strlen(name) + 1);
        e->next = net->extras;
        net->extras = e;
    }
    if (!e || (!t && !v)) {
        BML_NN_FREE(t);
        BML_NN_FREE(v);
        return bml_nn__fail(net->message, BML_NN_NO_MEMORY, "\"%s\"", name);
    }
    BML_NN_FREE(e->text);
    BML_NN_FREE(e->values);
    e->text = t;
    e->values = v;
    e->n = n;
    return BML_NN_OK;
}

BML_NN_DEF int bml_nn_set_text(bml_nn *net, const char *name, const char *text) {
    return bml_nn__set_extra(net, name, text, NULL, 0);
}
BML_NN_DEF int bml_nn_set_array(bml_nn *net, const char *name, const bml_nn_real *values, size_t n) {
    return bml_nn__set_extra(net, name, NULL, values, n);
}

BML_NN_DEF const char *bml_nn_get_text(const bml_nn *net, const char *name) {
    const bml_nn__extra *e = bml_nn__find_extra(net, name);
    return e ? e->text : NULL;
}

BML_NN_DEF const bml_nn_real *bml_nn_get_array(const bml_nn *net, const char *name, size_t *n) {
    const bml_nn__extra *e = bml_nn__find_extra(net, name);
    if (n) *n = e && e->values ? e->n : 0;
    return e ? e->values : NULL;
}

/* >> running rows through the layers */

/* Reals that the layers need for `rows` rows; which: 0 forward, 1 backward. 0 on overflow. */
static int bml_nn__lane_reals(size_t *total, const bml_nn *net, size_t rows, int which) {
    *total = 0;
    for (int i = 0; i < net->n_nodes; i++) {
        const bml_nn__node *n = &net->nodes[i];
        size_t out = (size_t)n->steps * (size_t)n->out;
        if (!bml_nn__add_mul(total, out, rows)) return 0;
        if (which == 0 &&
            (!bml_nn__add_mul(total, n->cache + n->dcache, rows) || !bml_nn__add_mul(total, n->cache_fixed, 1)))
            return 0;
    }
    return 1;
}

static void bml_nn__lane_free(bml_nn__lane *lane) {
    BML_NN_FREE(lane->out);
    BML_NN_FREE(lane->d);
    BML_NN_FREE(lane->cache);
    BML_NN_FREE(lane->scratch);
    BML_NN_FREE(lane->forward_memory);
    BML_NN_FREE(lane->backward_memory);
    BML_NN_FREE(lane->grad);
    BML_NN_FREE(lane->running);
    memset(lane, 0, sizeof *lane);
}

/* Memory for the way through the layers; for the way back, by the next function. */
static int bml_nn__lane_create(bml_nn__lane *lane, const bml_nn *net, int rows) {
    size_t scratch = 0;
    size_t nodes = (size_t)net->n_nodes;
    memset(lane, 0, sizeof *lane);
    lane->rows = rows;
    for (int i = 0; i < net->n_nodes; i++) {
        const bml_nn__node *n = &net->nodes[i];
        size_t s = n->scratch_fixed;
        if (!bml_nn__add_mul(&s, n->scratch, (size_t)rows)) return BML_NN_TOO_LARGE;
        scratch = s > scratch ? s : scratch;
    }
    size_t total;
    if (!bml_nn__lane_reals(&total, net, (size_t)rows, 0)) return BML_NN_TOO_LARGE;
    lane->out = (bml_nn_real **)bml_nn__alloc(nodes, sizeof *lane->out);
    lane->cache = (bml_nn_real **)bml_nn__alloc(nodes, sizeof *lane->cache);
    bml_nn_real *at;
    lane->forward_memory = at = bml_nn__reals(total);
    lane->scratch = bml_nn__reals(scratch);
    lane->running = bml_nn__reals(net->n_running);
    if (!lane->out || !lane->cache || !at || !lane->scratch || !lane->running) {
        bml_nn__lane_free(lane);
        return BML_NN_NO_MEMORY;
    }
    for (int i = 0; i < net->n_nodes; i++) {
        const bml_nn__node *n = &net->nodes[i];
        lane->out[i] = at;
        at += (size_t)n->steps * (size_t)n->out * (size_t)rows;
        lane->cache[i] = at;
        at += (n->cache + n->dcache) * (size_t)rows + n->cache_fixed;
    }
    return BML_NN_OK;
}

/* Memory for the way back, once. */
static int bml_nn__lane_backward(bml_nn__lane *lane, const bml_nn *net, int training) {
    if (training && !lane->grad && (lane->grad = bml_nn__reals(net->n_params)) == NULL) return BML_NN_NO_MEMORY;
    if (lane->d) return BML_NN_OK;
    size_t total;
    if (!bml_nn__lane_reals(&total, net, (size_t)lane->rows, 1)) return BML_NN_TOO_LARGE;
    bml_nn_real *at;
    lane->backward_memory = at = bml_nn__reals(total);
    if (!at) return BML_NN_NO_MEMORY;
    lane->d = (bml_nn_real **)bml_nn__alloc((size_t)net->n_nodes, sizeof *lane->d);
    if (!lane->d) return BML_NN_NO_MEMORY;
    for (int i = 0; i < net->n_nodes; i++) {
        lane->d[i] = at;
        at += (size_t)net->nodes[i].steps * (size_t)net->nodes[i].out * (size_t)lane->rows;
    }
    return BML_NN_OK;
}

/* b rows forward: those of index (NULL: 0 ... b-1) of x[...][n_in]. */
static void bml_nn__forward(const bml_nn *net, bml_nn__lane *lane, const bml_nn_real *x, const size_t *index, int b) {
    const bml_nn_real *shift = net->shift[0];
    const bml_nn_real *scale = net->scale[0];
    lane->b = b;
    for (int i = 0; i < net->n_nodes; i++) {
        const bml_nn__node *n = &net->nodes[i];
        size_t w = (size_t)n->out;
        if (n->spec.kind != BML_NN_INPUT) {
            bml_nn__kinds[n->spec.kind].forward(net, lane, i);
            continue;
        }
        for (size_t row = 0; row < (size_t)b; row++)
            for (size_t t = 0; t < (size_t)n->steps; t++) {
                size_t at = n->input_offset + t * w;
                const bml_nn_real *from = x + (index ? index[row] : row) * net->n_in + at;
                bml_nn_real *to = lane->out[i] + (t * (size_t)b + row) * w;
                for (size_t c = 0; c < w; c++)
                    to[c] = shift ? (from[c] - shift[at + c]) / scale[at + c] : from[c];
            }
    }
}

/* From lane->d of the last layer to lane->grad, or to those of the inputs. */
static void bml_nn__backward(const bml_nn *net, bml_nn__lane *lane) {
    for (int i = net->n_nodes - 1; i >= 0; i--)
        if (net->nodes[i].spec.kind != BML_NN_INPUT) bml_nn__kinds[net->nodes[i].spec.kind].backward(net, lane, i);
}

/* Between the last layer's [steps][b][features] and rows [b][n_out]. */
static void bml_nn__output_rows(bml_nn_real *y, const bml_nn *net, const bml_nn__lane *lane) {
    const bml_nn__node *n = &net->nodes[net->n_nodes - 1];
    size_t w = (size_t)n->out;
    size_t b = (size_t)lane->b;
    for (size_t row = 0; row < b; row++)
        for (size_t t = 0; t < (size_t)n->steps; t++)
            memcpy(y + row * net->n_out + t * w, lane->out[net->n_nodes - 1] + (t * b + row) * w, w * sizeof *y);
}

static void bml_nn__gradient_rows(const bml_nn *net, bml_nn__lane *lane, const bml_nn_real *dy) {
    const bml_nn__node *n = &net->nodes[net->n_nodes - 1];
    size_t w = (size_t)n->out;
    size_t b = (size_t)lane->b;
    for (size_t row = 0; row < b; row++)
        for (size_t t = 0; t < (size_t)n->steps; t++)
            memcpy(lane->d[net->n_nodes - 1] + (t * b + row) * w, dy + row * net->n_out + t * w, w * sizeof *dy);
}

struct bml_nn_work {
    const bml_nn *net;
    int rows, threads;
    bml_nn__lane *lanes; /* [threads] */
    bml_nn_real *dy;     /* [threads][rows][n_out] scaled gradients, made when wanted */
};

BML_NN_DEF int bml_nn_work_create(bml_nn_work **out, const bml_nn *net, int rows, int threads, char *why) {
    char message[BML_NN_MESSAGE] = "";
    int status = BML_NN_OK;
    if (out) *out = NULL;
    if (!out || !net || !net->params)
        return bml_nn__reason(why, BML_NN_BAD_ARGUMENT, "a workspace needs a net and a place");
    if (rows < 1) status = bml_nn__fail(message, BML_NN_BAD_ARGUMENT, "rows = %d: must be 1 or more", rows);
    if (threads < 0 || threads > 1024)
        status = bml_nn__fail(message, BML_NN_BAD_ARGUMENT, "threads = %d: must be in [0, 1024]", threads);
    if (status) return bml_nn__reason(why, status, message);
    bml_nn_work *work;
    work = (bml_nn_work *)bml_nn__alloc(1, sizeof *work);
    if (!work) return bml_nn__reason(why, BML_NN_NO_MEMORY, NULL);
    work->net = net;
    work->rows = rows;
    work->threads = threads ? threads : 1;
    work->lanes = (bml_nn__lane *)bml_nn__alloc((size_t)work->threads, sizeof *work->lanes);
    if (!work->lanes) status = BML_NN_NO_MEMORY;
    for (int i = 0; i < work->threads && !status; i++)
        status = bml_nn__lane_create(&work->lanes[i], net, rows);
    if (status)
        bml_nn_work_free(work);
    else
        *out = work;
    return bml_nn__reason(why, status, NULL);
}

BML_NN_DEF void bml_nn_work_free(bml_nn_work *work) {
    if (!work) return;
    for (int i = 0; work->lanes && i < work->threads; i++)
        bml_nn__lane_free(&work->lanes[i]);
    BML_NN_FREE(work->lanes);
    BML_NN_FREE(work->dy);
    BML_NN_FREE(work);
}

/* What one call wants of every block of rows. */
typedef struct bml_nn__job {
    const bml_nn_real *x, *dy; /* [n][n_in], [n][n_out] */
    bml_nn_real *y, *dx;       /* [n][n_out], [n][n_in]; dx NULL: only forward */
    int mode, output;          /* output >= 0: the gradient of that one, dy not read */
    uint64_t seed;
    uint32_t step;
} bml_nn__job;

/* Scaled derivatives in, so that the layers see their own; out in the user's units. */
static void bml_nn__block_back(bml_nn_work *work, int lane_number, const bml_nn__job *job, size_t first) {
    const bml_nn *net = work->net;
    bml_nn__lane *lane = &work->lanes[lane_number];
    bml_nn_real *dy = work->dy + (size_t)lane_number * (size_t)work->rows * net->n_out;
    const bml_nn_real *scale = net->scale[1];
    size_t b = (size_t)lane->b;
    for (size_t k = 0; k < b * net->n_out; k++) {
        bml_nn_real d = job->output >= 0 ? (k % net->n_out == (size_t)job->output ? BML_NN__R(1) : 0)
                                         : job->dy[first * net->n_out + k];
        dy[k] = scale ? d * scale[k % net->n_out] : d;
    }
    bml_nn__gradient_rows(net, lane, dy);
    bml_nn__backward(net, lane);
    for (int i = 0; i < net->n_nodes; i++) {
        const bml_nn__node *n = &net->nodes[i];
        size_t w = (size_t)n->out;
        for (size_t row = 0; n->spec.kind == BML_NN_INPUT && row < b; row++)
            for (size_t t = 0; t < (size_t)n->steps; t++)
                for (size_t c = 0; c < w; c++) {
                    size_t at = n->input_offset + t * w + c;
                    job->dx[(first + row) * net->n_in + at] =
                        lane->d[i][(t * b + row) * w + c] / (net->scale[0] ? net->scale[0][at] : 1);
                }
    }
}

static void bml_nn__block(bml_nn_work *work, int lane_number, const bml_nn__job *job, size_t first, int b) {
    const bml_nn *net = work->net;
    bml_nn__lane *lane = &work->lanes[lane_number];
    bml_nn_real *y = job->y ? job->y + first * net->n_out : NULL;
    lane->mode = job->mode;
    lane->seed = job->seed;
    lane->step = job->step;
    lane->first = first;
    bml_nn__forward(net, lane, job->x + first * net->n_in, NULL, b);
    if (y) bml_nn__output_rows(y, net, lane);
    for (size_t k = 0; y && net->scale[1] && k < (size_t)b * net->n_out; k++)
        y[k] = y[k] * net->scale[1][k % net->n_out] + net->shift[1][k % net->n_out];
    if (job->dx) bml_nn__block_back(work, lane_number, job, first);
}

/* All rows, in blocks of work->rows, which do not depend on the number of threads. */
static int bml_nn__run(const bml_nn *net, bml_nn_work *given, const bml_nn__job *job, size_t n) {
    bml_nn_work *work = given;
    int status = BML_NN_OK;
    if (!work) status = bml_nn_work_create(&work, net, n < 48 ? (int)n : 48, 1, NULL);
    if (status) return status;
    for (int k = 0; k < work->threads && job->dx && !status; k++)
        status = bml_nn__lane_backward(&work->lanes[k], net, 0);
    if (!status && job->dx && !work->dy) {
        size_t count;
        if (!bml_nn__mul(&count, (size_t)work->threads * (size_t)work->rows, net->n_out))
            status = BML_NN_TOO_LARGE;
        else if ((work->dy = bml_nn__reals(count)) == NULL)
            status = BML_NN_NO_MEMORY;
    }
    long blocks = status ? 0 : (long)((n + (size_t)work->rows - 1) / (size_t)work->rows);
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(work->threads) if (work->threads > 1 && blocks > 1)
#endif
    for (long i = 0; i < blocks; i++) {
        size_t first = (size_t)i * (size_t)work->rows;
        size_t left = n - first;
#ifdef _OPENMP
        bml_nn__block(work, omp_get_thread_num(), job, first, left < (size_t)work->rows ? (int)left : work->rows);
#else
        bml_nn__block(work, 0, job, first, left < (size_t)work->rows ? (int)left : work->rows);
#endif
    }
    if (!given) bml_nn_work_free(work);
    return status;
}

static int bml_nn__can_run(const bml_nn *net, const bml_nn_work *work, const void *out, const bml_nn_real *x) {
    return net && net->params && out && x && (!work || work->net == net);
}

BML_NN_DEF int bml_nn_predict(const bml_nn *net, bml_nn_work *work, bml_nn_real *y, const bml_nn_real *x, size_t n) {
    bml_nn__job job = {x, NULL, y, NULL, BML_NN__PLAIN, -1, 0, 0};
    if (!n) return BML_NN_OK;
    return bml_nn__can_run(net, work, y, x) ? bml_nn__run(net, work, &job, n) : BML_NN_BAD_ARGUMENT;
}

BML_NN_DEF int bml_nn_draws(const bml_nn *net, bml_nn_work *work, bml_nn_real *draws, const bml_nn_real *x, size_t n,
                            int n_draws, uint64_t seed) {
    bml_nn__job job = {x, NULL, draws, NULL, BML_NN__DRAW, -1, seed, 0};
    bml_nn_work *own = work;
    int status = BML_NN_OK;
    int random = 0;
    if (!bml_nn__can_run(net, work, draws, x) || n_draws < 0) return BML_NN_BAD_ARGUMENT;
    for (int i = 0; i < net->n_nodes; i++)
        random |= net->nodes[i].spec.kind == BML_NN_BAYES ||
                  (net->nodes[i].spec.kind == BML_NN_DROPOUT && net->nodes[i].spec.rate > 0);
    if (!random) return BML_NN_BAD_LAYER;
    if (!n || !n_draws) return BML_NN_OK;
    if (!work) status = bml_nn_work_create(&own, net, n < 48 ? (int)n : 48, 1, NULL);
    for (int i = 0; i < n_draws && !status; i++) {
        job.step = (uint32_t)i;
        job.y = draws + (size_t)i * n * net->n_out;
        status = bml_nn__run(net, own, &job, n);
    }
    if (!work) bml_nn_work_free(own);
    return status;
}

BML_NN_DEF int bml_nn_vjp(const bml_nn *net, bml_nn_work *work, bml_nn_real *dx, bml_nn_real *y, const bml_nn_real *dy,
                          const bml_nn_real *x, size_t n) {
    bml_nn__job job = {x, dy, y, dx, BML_NN__PLAIN, -1, 0, 0};
    if (!n) return BML_NN_OK;
    return dy && bml_nn__can_run(net, work, dx, x) ? bml_nn__run(net, work, &job, n) : BML_NN_BAD_ARGUMENT;
}

BML_NN_DEF int bml_nn_gradient(const bml_nn *net, bml_nn_work *work, bml_nn_real *dx, int output, const bml_nn_real *x,
                               size_t n) {
    bml_nn__job job = {x, NULL, NULL, dx, BML_NN__PLAIN, output, 0, 0};
    if (!bml_nn__can_run(net, work, dx, x) || output < 0 || (size_t)output >= net->n_out) return BML_NN_BAD_ARGUMENT;
    return n ? bml_nn__run(net, work, &job, n) : BML_NN_OK;
}

static int bml_nn__compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

BML_NN_DEF int bml_nn_summarize_draws(const bml_nn_spread *out, const bml_nn_real *draws, int n_draws,
                                      size_t n_values) {
    size_t N = (size_t)n_draws;
    if (!out || !draws || n_draws < 2 || out->n_levels < 0 || (out->n_levels > 0 && (!out->levels || !out->quantiles)))
        return BML_NN_BAD_ARGUMENT;
    for (int q = 0; q < out->n_levels; q++)
        if (!(out->levels[q] >= 0 && out->levels[q] <= 1)) return BML_NN_BAD_ARGUMENT;
    double *sorted;
    sorted = (double *)bml_nn__alloc(N, sizeof *sorted);
    if (!sorted) return BML_NN_NO_MEMORY;
    for (size_t v = 0; v < n_values; v++) {
        double mean = 0;
        double square = 0;
        for (size_t k = 0; k < N; k++)
            mean += sorted[k] = (double)draws[k * n_values + v];
        mean /= (double)N;
        for (size_t k = 0; k < N; k++)
            square += (sorted[k] - mean) * (sorted[k] - mean);
        if (out->mean) out->mean[v] = (bml_nn_real)mean;
        if (out->sd) out->sd[v] = (bml_nn_real)sqrt(square / (double)(N - 1));
        if (out->n_levels) qsort(sorted, N, sizeof *sorted, bml_nn__compare_doubles);
        for (int q = 0; q < out->n_levels; q++) {
            double at = out->levels[q] * (double)(N - 1);
            size_t low = (size_t)at;
            size_t high = low + 1 < N ? low + 1 : low;
            out->quantiles[(size_t)q * n_values + v] =
                (bml_nn_real)(sorted[low] + (at - (double)low) * (sorted[high] - sorted[low]));
        }
    }
    BML_NN_FREE(sorted);
    return BML_NN_OK;
}

/* >> losses */

static const double bml_nn__hold = 1e-7; /* probabilities are held this far from 0 and 1 */

/* Loss of one number and its derivative. */
static double bml_nn__element(double *slope, int loss, double p, double y) {
    double q;
    double d;
    switch (loss) {
    case BML_NN_MAE: *slope = p > y ? 1 : p < y ? -1 : 0; return fabs(p - y);
    case BML_NN_MSLE:
        d = log1p(p > 0 ? p : 0) - log1p(y > 0 ? y : 0);
        *slope = p > 0 ? 2 * d / (1 + p) : 0;
        return p != p ? p : d * d;
    case BML_NN_BINARY:
        q = p < bml_nn__hold ? bml_nn__hold : p > 1 - bml_nn__hold ? 1 - bml_nn__hold : p;
        *slope = (q - y) / (q * (1 - q));
        return -y * log(q) - (1 - y) * log1p(-q);
    case BML_NN_BINARY_LOGITS:
        q = exp(-fabs(p));
        *slope = (p >= 0 ? 1 / (1 + q) : q / (1 + q)) - y;
        return (p > 0 ? p : 0) - p * y + log1p(q);
    default: *slope = 2 * (p - y); return (p - y) * (p - y);
    }
}

/* Cross-entropy of one row of classes; slope[n]. */
static double bml_nn__row(bml_nn_real *slope, int logits, const bml_nn_real *p, const bml_nn_real *y, size_t n) {
    double sum = 0;
    double top = (double)p[0];
    double total = 0;
    double loss = 0;
    if (!logits) {
        for (size_t k = 0; k < n; k++) {
            double q = (double)p[k] < bml_nn__hold ? bml_nn__hold : (double)p[k];
            loss -= (double)y[k] * log(q);
            slope[k] = (bml_nn_real)(-(double)y[k] / q);
        }
        return loss;
    }
    for (size_t k = 1; k < n; k++)
        top = (double)p[k] > top ? (double)p[k] : top;
    for (size_t k = 0; k < n; k++) {
        sum += exp((double)p[k] - top);
        total += (double)y[k];
    }
    for (size_t k = 0; k < n; k++) {
        double l = (double)p[k] - top - log(sum);
        loss -= (double)y[k] * l;
        slope[k] = (bml_nn_real)(total * exp(l) - (double)y[k]);
    }
    return loss;
}

static int bml_nn__by_row(int loss) {
    return loss == BML_NN_CATEGORICAL || loss == BML_NN_CATEGORICAL_LOGITS;
}
static int bml_nn__is_binary(int loss) {
    return loss == BML_NN_BINARY || loss == BML_NN_BINARY_LOGITS;
}

/* Weight of number j of a row with target y. */
static double bml_nn__class_weight(const bml_nn_training *how, const bml_nn_real *y, size_t j, size_t n_out) {
    double w = 0;
    if (!how->class_weights) return 1;
    if (bml_nn__is_binary(how->loss) && n_out == 1)
        return (double)y[0] * how->class_weights[1] + (1 - (double)y[0]) * how->class_weights[0];
    if (!bml_nn__by_row(how->loss)) return how->class_weights[j];
    for (size_t k = 0; k < n_out; k++)
        w += (double)y[k] * how->class_weights[k];
    return w;
}

/* Loss and gradient[n][n_out] of a batch; *weight is the sum of its weights, for means over batches. */
static double bml_nn__loss(double *weight, const bml_nn_training *how, const bml_nn_batch *batch) {
    size_t n = (size_t)batch->n;
    size_t m = batch->n_out;
    double loss = 0;
    double total = 0;
    if (how->loss == BML_NN_CUSTOM) {
        *weight = (double)n;
        return how->loss_fn(batch, how->loss_user);
    }
    for (size_t i = 0; i < n; i++) {
        const bml_nn_real *p = batch->prediction + i * m;
        const bml_nn_real *y = batch->target + i * m;
        bml_nn_real *g = batch->gradient + i * m;
        double wi = batch->weight ? (double)batch->weight[i] : 1;
        if (bml_nn__by_row(how->loss)) {
            double w = wi * bml_nn__class_weight(how, y, 0, m);
            loss += w * bml_nn__row(g, how->loss == BML_NN_CATEGORICAL_LOGITS, p, y, m);
            for (size_t j = 0; j < m; j++)
                g[j] *= (bml_nn_real)w;
            total += w;
        } else
            for (size_t j = 0; j < m; j++) {
                double slope;
                double w = wi * bml_nn__class_weight(how, y, j, m);
                loss += w * bml_nn__element(&slope, how->loss, (double)p[j], (double)y[j]);
                g[j] = (bml_nn_real)(w * slope);
                total += w;
            }
    }
    *weight = total;
    if (!(total > 0)) total = 1;
    for (size_t i = 0; i < n * m; i++)
        batch->gradient[i] = (bml_nn_real)((double)batch->gradient[i] / total);
    return loss / total;
}

/* Number of rows whose class is right; -1 where the loss knows no classes. Binary outputs count each. */
static double bml_nn__right(const bml_nn_training *how, const bml_nn_batch *batch) {
    size_t m = batch->n_out;
    size_t right = 0;
    if (bml_nn__is_binary(how->loss)) {
        bml_nn_real half = how->loss == BML_NN_BINARY ? BML_NN__R(0.5) : 0;
        for (size_t i = 0; i < (size_t)batch->n * m; i++)
            right += (batch->prediction[i] > half) == (batch->target[i] > BML_NN__R(0.5));
        return (double)right / (double)m;
    }
    if (!bml_nn__by_row(how->loss)) return -1;
    for (size_t i = 0; i < (size_t)batch->n; i++) {
        const bml_nn_real *p = batch->prediction + i * m;
        const bml_nn_real *y = batch->target + i * m;
        size_t a = 0;
        size_t b = 0;
        for (size_t j = 1; j < m; j++) {
            a = p[j] > p[a] ? j : a;
            b = y[j] > y[b] ? j : b;
        }
        right += a == b;
    }
    return (double)right;
}

/* >> training */

struct bml_nn_trainer {
    bml_nn *net;
    bml_nn_training how;        /* with the defaults filled in */
    bml_nn_batch_step *batches; /* copy */
    size_t *train, *held,
        *order; /* rows trained on [n_train], held back [n_held], and the order of this epoch [n_train] */
    size_t n_train, n_held;
    bml_nn__lane *lanes;                                      /* [n_lanes], one a block */
    int n_lanes, largest;                                     /* largest batch */
    bml_nn_real *prediction, *target, *gradient, *x, *weight; /* [largest][...] of one batch */
    bml_nn_real *m, *v;                                       /* [n_params] optimiser */
    bml_nn_real *best, *good; /* [n_params + n_running] best weights; weights after the last good epoch */
    uint64_t step, steps;     /* updates done, and in all epochs */
    bml_nn_epoch last;
    int done;
};

static int bml_nn__batch_at(const bml_nn_trainer *t, int epoch) {
    int batch = t->how.batch;
    for (int i = 0; i < t->how.n_batches; i++)
        if (epoch >= t->batches[i].epoch) batch = t->batches[i].batch;
    return batch;
}

static int bml_nn__block_of(const bml_nn_trainer *t, int batch) {
    int block = t->how.block ? t->how.block : (batch + 7) / 8 > 32 ? (batch + 7) / 8 : 32;
    for (int i = 0; i < t->net->n_nodes; i++)
        if (t->net->nodes[i].spec.kind == BML_NN_BATCH_NORM) return batch;
    return block < batch ? block : batch;
}

static int bml_nn__check_rows(bml_nn *net, const char *what, const bml_nn_real *a, size_t n, size_t width) {
    for (size_t i = 0; i < n * width; i++)
        if (!isfinite(a[i]))
            return bml_nn__fail(net->message, BML_NN_BAD_DATA, "%s: row %.0f, column %.0f is not finite", what,
                                (double)(i / width), (double)(i % width));
    return BML_NN_OK;
}

/* Targets that the loss can take. */
static int bml_nn__check_targets(bml_nn *net, const bml_nn_training *how, const char *what, const bml_nn_real *y,
                                 size_t n) {
    size_t m = net->n_out;
    if (!y) return BML_NN_OK;
    int status = bml_nn__check_rows(net, what, y, n, m);
    if (status || !(bml_nn__by_row(how->loss) || bml_nn__is_binary(how->loss))) return status;
    for (size_t i = 0; i < n * m; i++)
        if (!(y[i] >= 0 && y[i] <= 1))
            return bml_nn__fail(net->message, BML_NN_BAD_DATA,
                                "%s: row %.0f, column %.0f: a cross-entropy takes targets in [0,1]", what,
                                (double)(i / m), (double)(i % m));
    return BML_NN_OK;
}

static int bml_nn__check_data(bml_nn *net, const bml_nn_training *how) {
    int status = bml_nn__check_rows(net, "x", how->x, how->n, net->n_in);
    if (!status) status = bml_nn__check_targets(net, how, "y", how->y, how->n);
    if (!status && how->n_val) status = bml_nn__check_rows(net, "x_val", how->x_val, how->n_val, net->n_in);
    if (!status && how->n_val) status = bml_nn__check_targets(net, how, "y_val", how->y_val, how->n_val);
    for (size_t i = 0; how->weights && !status && i < how->n; i++)
        if (!(how->weights[i] >= 0) || !isfinite(how->weights[i]))
            status = bml_nn__fail(net->message, BML_NN_BAD_DATA, "weight of row %.0f", (double)i);
    if (status || !how->class_weights) return status;
    if (!bml_nn__by_row(how->loss) && !bml_nn__is_binary(how->loss))
        return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "class weights belong to the cross-entropies");
    for (int k = 0; k < (int)net->n_out + (net->n_out == 1 && bml_nn__is_binary(how->loss)); k++)
        if (!(how->class_weights[k] >= 0) || !isfinite(how->class_weights[k]))
            return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "class weight %d", k);
    return BML_NN_OK;
}

/* One row per number that must lie in a range: config checks are a table. */
static int bml_nn__check_numbers(bml_nn *net, const bml_nn_training *t) {
    const struct {
        const char *name;
        double value, low, high;
    } range[] = {{"learning_rate", t->learning_rate, 0, 1e9},
                 {"momentum", t->momentum, 0, 1 - 1e-9},
                 {"weight_decay", t->weight_decay, 0, 1e9},
                 {"l2", t->l2, 0, 1e9},
                 {"clip", t->clip, 0, 1e30},
                 {"kl_weight", t->kl_weight, 0, 1e30},
                 {"decay", t->decay, 0, 1},
                 {"validation", t->validation, 0, 0.9},
                 {"loss", (double)t->loss, 0, BML_NN_N_LOSSES - 1},
                 {"optimizer", (double)t->optimizer, 0, BML_NN_N_OPTIMIZERS - 1},
                 {"schedule", (double)t->schedule, 0, BML_NN_N_SCHEDULES - 1},
                 {"period", (double)t->period, 0, 1e9},
                 {"warmup", (double)t->warmup, 0, 1e9},
                 {"batch", (double)t->batch, 0, 1 << 24},
                 {"epochs", (double)t->epochs, 0, 1e9},
                 {"patience", (double)t->patience, 0, 1e9},
                 {"first_epoch", (double)t->first_epoch, 0, 1e9},
                 {"threads", (double)t->threads, 0, 1024},
                 {"block", (double)t->block, 0, 1 << 24},
                 {"n_batches", (double)t->n_batches, 0, 1e6}};
    for (size_t i = 0; i < sizeof range / sizeof *range; i++)
        if (!(range[i].value >= range[i].low && range[i].value <= range[i].high))
            return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "%s is %g, must lie in [%g, %g]", range[i].name,
                                range[i].value, range[i].low, range[i].high);
    for (int k = 0; k < t->n_batches; k++)
        if (!t->batches || t->batches[k].epoch < 1 || t->batches[k].batch < 1 || t->batches[k].batch > 1 << 24 ||
            (k && t->batches[k].epoch <= t->batches[k - 1].epoch))
            return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT,
                                "batches[%d]: epochs must increase from 1, batches be 1 or more", k);
    if (!t->x || !t->n || t->n > (size_t)-1 / 8 / net->n_in || (!t->y && t->loss != BML_NN_CUSTOM))
        return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "there are no data");
    if (t->loss == BML_NN_CUSTOM && !t->loss_fn)
        return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "a loss of your own needs loss_fn");
    if (t->n_val && (!t->x_val || (!t->y_val && t->y) || t->validation > 0))
        return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "give a validation set or a share, not both");
    return BML_NN_OK;
}

static void bml_nn__fill_defaults(bml_nn_training *t) {
    if (t->learning_rate == 0) t->learning_rate = 1e-3;
    if (t->weight_decay == 0) t->weight_decay = 0.01;
    if (t->kl_weight == 0) t->kl_weight = 1;
    if (t->decay == 0) t->decay = t->schedule == BML_NN_COSINE ? 0 : 0.1;
    if (t->period == 0) t->period = 10;
    if (t->batch == 0) t->batch = 32;
    if (t->epochs == 0) t->epochs = 100;
    if (t->first_epoch == 0) t->first_epoch = 1;
    if (t->threads == 0) t->threads = 1;
}

/* Rows to train on and rows held back. */
static int bml_nn__divide(bml_nn_trainer *t) {
    const bml_nn_training *h = &t->how;
    size_t *all = (size_t *)bml_nn__alloc(h->n, sizeof *all);
    t->n_held = (size_t)(h->validation * (double)h->n + 0.5);
    if (h->validation > 0 && t->n_held == 0) t->n_held = 1;
    t->n_train = h->n - t->n_held;
    t->train = (size_t *)bml_nn__alloc(t->n_train, sizeof *t->train);
    t->held = (size_t *)bml_nn__alloc(t->n_held, sizeof *t->held);
    t->order = (size_t *)bml_nn__alloc(t->n_train, sizeof *t->order);
    if (!all || !t->train || !t->held || !t->order) {
        BML_NN_FREE(all);
        return BML_NN_NO_MEMORY;
    }
    if (t->n_held)
        bml_nn__shuffle(all, h->n, h->seed, 0);
    else
        for (size_t i = 0; i < h->n; i++)
            all[i] = i;
    memcpy(t->held, all, t->n_held * sizeof *all);
    memcpy(t->train, all + t->n_held, t->n_train * sizeof *all);
    BML_NN_FREE(all);
    return t->n_train ? BML_NN_OK : bml_nn__fail(t->net->message, BML_NN_BAD_ARGUMENT, "no row is left to train on");
}

static int bml_nn__trainer_memory(bml_nn_trainer *t) {
    const bml_nn *net = t->net;
    size_t weights = net->n_params + net->n_running;
    size_t held = t->n_held + t->how.n_val;
    size_t most = t->n_train > held ? t->n_train : held; /* no batch has more rows */
    int rows = 1;
    int status = BML_NN_OK;
    for (int i = -1; i < t->how.n_batches; i++) {
        int batch = i < 0 ? t->how.batch : t->batches[i].batch;
        if ((size_t)batch > most) batch = (int)most;
        int block = bml_nn__block_of(t, batch);
        int lanes = (batch + block - 1) / block;
        t->largest = batch > t->largest ? batch : t->largest;
        t->n_lanes = lanes > t->n_lanes ? lanes : t->n_lanes;
        rows = block > rows ? block : rows;
    }
    size_t n_out;
    size_t n_in;
    if (!bml_nn__mul(&n_out, (size_t)t->largest, net->n_out) || !bml_nn__mul(&n_in, (size_t)t->largest, net->n_in))
        return BML_NN_TOO_LARGE;
    t->lanes = (bml_nn__lane *)bml_nn__alloc((size_t)t->n_lanes, sizeof *t->lanes);
    t->prediction = bml_nn__reals(n_out);
    t->target = bml_nn__reals(n_out);
    t->gradient = bml_nn__reals(n_out);
    t->x = bml_nn__reals(n_in);
    t->weight = bml_nn__reals((size_t)t->largest);
    t->m = bml_nn__reals(net->n_params);
    t->v = bml_nn__reals(net->n_params);
    t->best = bml_nn__reals(weights);
    t->good = bml_nn__reals(weights);
    if (!t->lanes || !t->prediction || !t->target || !t->gradient || !t->x || !t->weight || !t->m || !t->v ||
        !t->best || !t->good)
        return BML_NN_NO_MEMORY;
    for (int i = 0; i < t->n_lanes && !status; i++) {
        status = bml_nn__lane_create(&t->lanes[i], net, rows);
        if (!status) status = bml_nn__lane_backward(&t->lanes[i], net, 1);
    }
    return status;
}

static void bml_nn__keep(bml_nn_real *to, const bml_nn *net) {
    memcpy(to, net->params, net->n_params * sizeof *to);
    memcpy(to + net->n_params, net->running, net->n_running * sizeof *to);
}
static void bml_nn__restore(bml_nn *net, const bml_nn_real *from) {
    memcpy(net->params, from, net->n_params * sizeof *from);
    memcpy(net->running, from + net->n_params, net->n_running * sizeof *from);
}

BML_NN_DEF int bml_nn_trainer_create(bml_nn_trainer **out, bml_nn *net, const bml_nn_training *training, char *why) {
    if (out) *out = NULL;
    if (!out || !net || !net->params || !training)
        return bml_nn__reason(why, BML_NN_BAD_ARGUMENT, "a trainer needs a net, its training, and a place");
    net->message[0] = 0;
    int status = bml_nn__check_numbers(net, training);
    if (!status) status = bml_nn__check_data(net, training);
    if (status) return bml_nn__reason(why, status, net->message);
    bml_nn_trainer *t;
    t = (bml_nn_trainer *)bml_nn__alloc(1, sizeof *t);
    if (!t) return bml_nn__reason(why, BML_NN_NO_MEMORY, NULL);
    t->net = net;
    t->how = *training;
    bml_nn__fill_defaults(&t->how);
    t->batches = (bml_nn_batch_step *)bml_nn__alloc((size_t)t->how.n_batches, sizeof *t->batches);
    if (!t->batches)
        status = BML_NN_NO_MEMORY;
    else if (t->how.n_batches)
        memcpy(t->batches, training->batches, (size_t)t->how.n_batches * sizeof *t->batches);
    if (!status) status = bml_nn__divide(t);
    if (!status) status = bml_nn__trainer_memory(t);
    bml_nn__reason(why, status, net->message);
    if (status) {
        bml_nn_trainer_free(t);
        return status;
    }
    for (int e = 1; e <= t->how.epochs; e++) {
        size_t batch = (size_t)bml_nn__batch_at(t, e);
        t->steps += (t->n_train + batch - 1) / batch;
    }
    t->last.last = t->how.epochs;
    t->last.best_loss = HUGE_VAL;
    t->last.loss = t->last.val_loss = t->last.accuracy = t->last.val_accuracy = BML_NN__NAN;
    *out = t;
    return BML_NN_OK;
}

BML_NN_DEF void bml_nn_trainer_free(bml_nn_trainer *t) {
    if (!t) return;
    for (int i = 0; t->lanes && i < t->n_lanes; i++)
        bml_nn__lane_free(&t->lanes[i]);
    BML_NN_FREE(t->lanes);
    BML_NN_FREE(t->batches);
    BML_NN_FREE(t->train);
    BML_NN_FREE(t->held);
    BML_NN_FREE(t->order);
    BML_NN_FREE(t->prediction);
    BML_NN_FREE(t->target);
    BML_NN_FREE(t->gradient);
    BML_NN_FREE(t->x);
    BML_NN_FREE(t->weight);
    BML_NN_FREE(t->m);
    BML_NN_FREE(t->v);
    BML_NN_FREE(t->best);
    BML_NN_FREE(t->good);
    BML_NN_FREE(t);
}

/* Runs b rows forward in blocks, one lane each, and collects what the loss sees. */
static bml_nn_batch bml_nn__run_batch(bml_nn_trainer *t, const bml_nn_real *x, const bml_nn_real *y, const size_t *rows,
                                      int b, int mode) {
    bml_nn *net = t->net;
    int block = bml_nn__block_of(t, b);
    size_t m = net->n_out;
    if (block > t->lanes[0].rows) block = t->lanes[0].rows;
    int blocks = (b + block - 1) / block;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(t->how.threads) if (t->how.threads > 1 && blocks > 1)
#endif
    for (int i = 0; i < blocks; i++) {
        bml_nn__lane *lane = &t->lanes[i];
        int count = b - i * block < block ? b - i * block : block;
        lane->mode = mode;
        lane->seed = t->how.seed;
        lane->step = (uint32_t)t->step;
        lane->first = (size_t)i * (size_t)block;
        bml_nn__forward(net, lane, x, rows + lane->first, count);
        bml_nn__output_rows(t->prediction + lane->first * m, net, lane);
    }
    for (size_t r = 0; r < (size_t)b; r++) {
        for (size_t j = 0; y && j < m; j++) {
            bml_nn_real v = y[rows[r] * m + j];
            t->target[r * m + j] = net->scale[1] ? (v - net->shift[1][j]) / net->scale[1][j] : v;
        }
        if (t->how.weights && x == t->how.x) t->weight[r] = t->how.weights[rows[r]];
        if (t->how.loss == BML_NN_CUSTOM) memcpy(t->x + r * net->n_in, x + rows[r] * net->n_in, net->n_in * sizeof *x);
    }
    bml_nn_batch batch;
    batch.gradient = t->gradient;
    batch.prediction = t->prediction;
    batch.target = y ? t->target : NULL;
    batch.x = t->x;
    batch.weight = t->how.weights && x == t->how.x ? t->weight : NULL;
    batch.n = b;
    batch.n_in = net->n_in;
    batch.n_out = m;
    return batch;
}

/* The gradients of all blocks, added in order into the first lane's; then L2, KL. Returns what these add to the loss. */
static double bml_nn__collect(bml_nn_trainer *t, int blocks) {
    const bml_nn *net = t->net;
    bml_nn_real *g = t->lanes[0].grad;
    double extra = 0;
    for (int i = 1; i < blocks; i++) {
        const bml_nn_real *h = t->lanes[i].grad;
        for (size_t k = 0; k < net->n_params; k++)
            g[k] += h[k];
    }
    for (int i = 0; i < net->n_tensors; i++) {
        const bml_nn__tensor *s = &net->tensors[i];
        const bml_nn_layer *l = &net->nodes[s->node].spec;
        const bml_nn_real *w = net->params + s->offset;
        if (l->kind ==
            BML_NN_BAYES) { /* tensors come as kernel, bias, kernel_rho, bias_rho; the rho of kernel is two further */
            double scale = t->how.kl_weight / (double)t->n_train;
            double p = l->prior_sd;
            if (s->start == BML_NN__RHO) continue;
            for (size_t k = 0; k < s->count; k++) {
                size_t r = net->tensors[i + 2].offset + k;
                double rho = (double)net->params[r];
                double sd = rho > 30 ? rho : log1p(exp(rho));
                double mean = (double)w[k];
                extra += scale * (log(p / sd) + (sd * sd + mean * mean) / (2 * p * p) - 0.5);
                g[s->offset + k] += (bml_nn_real)(scale * mean / (p * p));
                g[r] += (bml_nn_real)(scale * (sd / (p * p) - 1 / sd) / (1 + exp(-rho)));
            }
        } else if (t->how.l2 > 0 && (s->start == BML_NN__KERNEL || s->start == BML_NN__ORTHOGONAL)) {
            for (size_t k = 0; k < s->count; k++) {
                extra += t->how.l2 * (double)w[k] * (double)w[k];
                g[s->offset + k] += (bml_nn_real)(2 * t->how.l2) * w[k];
            }
        }
    }
    return extra;
}

static double bml_nn__norm(const bml_nn_real *g, size_t n) {
    double part[16] = {0};
    double sum = 0;
    size_t k;
    for (k = 0; k + 16 <= n; k += 16)
        for (size_t j = 0; j < 16; j++)
            part[j] += (double)g[k + j] * (double)g[k + j];
    for (; k < n; k++)
        sum += (double)g[k] * (double)g[k];
    for (size_t j = 0; j < 16; j++)
        sum += part[j];
    return sqrt(sum);
}

/* One step of the optimiser on parameters [from, to): elementwise, so that any thread may take any part. */
static void bml_nn__update(bml_nn_trainer *t, size_t from, size_t to, double rate, double factor) {
    bml_nn_real *BML_NN_RESTRICT w = t->net->params;
    bml_nn_real *BML_NN_RESTRICT m = t->m;
    bml_nn_real *BML_NN_RESTRICT v = t->v;
    const bml_nn_real *BML_NN_RESTRICT g = t->lanes[0].grad;
    const double k1 = 1 - pow(0.9, (double)(t->step + 1));
    const double k2 = 1 - pow(0.999, (double)(t->step + 1));
    const bml_nn_real f = (bml_nn_real)factor;
    const bml_nn_real eps = BML_NN__R(1e-8);
    const bml_nn_real lr = (bml_nn_real)rate;
    const bml_nn_real a = (bml_nn_real)(rate / k1);
    const bml_nn_real c = (bml_nn_real)(1 / sqrt(k2));
    const bml_nn_real momentum = (bml_nn_real)t->how.momentum;
    const bml_nn_real keep = t->how.optimizer == BML_NN_ADAMW ? (bml_nn_real)(1 - rate * t->how.weight_decay) : 1;
    if (t->how.optimizer == BML_NN_SGD)
        for (size_t k = from; k < to; k++) {
            m[k] = momentum * m[k] + f * g[k];
            w[k] -= lr * m[k];
        }
    else if (t->how.optimizer == BML_NN_RMSPROP)
        for (size_t k = from; k < to; k++) {
            bml_nn_real d = f * g[k];
            v[k] = BML_NN__R(0.99) * v[k] + BML_NN__R(0.01) * d * d;
            w[k] -= lr * d / ((bml_nn_real)sqrt((double)v[k]) + eps);
        }
    else
        for (size_t k = from; k < to; k++) {
            bml_nn_real d = f * g[k];
            m[k] = BML_NN__R(0.9) * m[k] + BML_NN__R(0.1) * d;
            v[k] = BML_NN__R(0.999) * v[k] + BML_NN__R(0.001) * d * d;
            w[k] = w[k] * keep - a * m[k] / ((bml_nn_real)sqrt((double)v[k]) * c + eps);
        }
}

static double bml_nn__rate(const bml_nn_trainer *t) {
    const bml_nn_training *h = &t->how;
    double rate = h->learning_rate;
    double epoch = (double)t->last.epoch; /* epochs that are over */
    if (h->schedule == BML_NN_STEP) rate *= pow(h->decay, floor(epoch / h->period));
    if (h->schedule == BML_NN_EXPONENTIAL) rate *= pow(h->decay, epoch / h->period);
    if (h->schedule == BML_NN_COSINE)
        rate *= h->decay + (1 - h->decay) * 0.5 * (1 + cos(3.141592653589793 * (double)t->step / (double)t->steps));
    if (t->step < (uint64_t)h->warmup) rate *= (double)(t->step + 1) / h->warmup;
    return rate;
}

/* Backward through the blocks of the batch that has just run forward, and one update. Returns the gradient's norm. */
static double bml_nn__learn(bml_nn_trainer *t, int b, double *loss) {
    bml_nn *net = t->net;
    int block = bml_nn__block_of(t, b);
    int blocks = (b + block - 1) / block;
    int parts = t->how.threads;
    double rate = bml_nn__rate(t);
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(t->how.threads) if (t->how.threads > 1 && blocks > 1)
#endif
    for (int i = 0; i < blocks; i++) {
        bml_nn__gradient_rows(net, &t->lanes[i], t->gradient + t->lanes[i].first * net->n_out);
        bml_nn__backward(net, &t->lanes[i]);
    }
    *loss += bml_nn__collect(t, blocks);
    double norm = bml_nn__norm(t->lanes[0].grad, net->n_params);
    double factor = t->how.clip > 0 && norm > t->how.clip ? t->how.clip / norm : 1;
    if (net->n_params < 65536) parts = 1;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(parts) if (parts > 1)
#endif
    for (int i = 0; i < parts; i++)
        bml_nn__update(t, net->n_params * (size_t)i / (size_t)parts, net->n_params * (size_t)(i + 1) / (size_t)parts,
                       rate, factor);
    memcpy(net->running, t->lanes[0].running, net->n_running * sizeof *net->running);
    t->last.learning_rate = rate;
    t->step++;
    return norm;
}

/* Loss and accuracy over the validation rows. */
static void bml_nn__validate(bml_nn_trainer *t) {
    const bml_nn_training *h = &t->how;
    const bml_nn_real *x = h->n_val ? h->x_val : h->x;
    const bml_nn_real *y = h->n_val ? h->y_val : h->y;
    size_t n = h->n_val ? h->n_val : t->n_held;
    size_t *rows = t->held;
    size_t own[64];
    double loss = 0;
    double total = 0;
    double right = 0;
    size_t most = (size_t)t->largest;
    if (!n) return;
    if (h->n_val && most > 64) most = 64;
    for (size_t at = 0; at < n; at += most) {
        size_t b = n - at < most ? n - at : most;
        for (size_t i = 0; h->n_val && i < b; i++)
            own[i] = at + i;
        bml_nn_batch batch = bml_nn__run_batch(t, x, y, h->n_val ? own : rows + at, (int)b, BML_NN__PLAIN);
        double weight;
        double value = bml_nn__loss(&weight, h, &batch);
        loss += weight * value;
        total += weight;
        right += batch.target ? bml_nn__right(h, &batch) : 0;
    }
    t->last.val_loss = loss / total;
    t->last.val_accuracy = bml_nn__by_row(h->loss) || bml_nn__is_binary(h->loss) ? right / (double)n : BML_NN__NAN;
}

/* One epoch. A loss that is not finite gives back the weights of the last good one. */
static int bml_nn__epoch(bml_nn_trainer *t) {
    const bml_nn_training *h = &t->how;
    int epoch = t->last.epoch + 1;
    int size = bml_nn__batch_at(t, epoch);
    double loss = 0;
    double total = 0;
    double right = 0;
    double norm = 0;
    double batches = 0;
    bml_nn__keep(t->good, t->net);
    if (!h->in_order) bml_nn__shuffle(t->order, t->n_train, h->seed, (uint64_t)epoch);
    for (size_t i = 0; i < t->n_train; i++)
        t->order[i] = t->train[h->in_order ? i : t->order[i]];
    double value;
    double weight;
    for (size_t at = 0; at < t->n_train; at += (size_t)size, batches++) {
        int b = t->n_train - at < (size_t)size ? (int)(t->n_train - at) : size;
        bml_nn_batch batch = bml_nn__run_batch(t, h->x, h->y, t->order + at, b, BML_NN__TRAIN);
        value = bml_nn__loss(&weight, h, &batch);
        if (isfinite(value)) {
            right += batch.target ? bml_nn__right(h, &batch) : 0;
            norm += bml_nn__learn(t, b, &value);
        }
        loss += weight * value;
        total += weight;
        if (!isfinite(value) || !isfinite(norm)) {
            bml_nn__restore(t->net, t->good);
            t->done = 1;
            return bml_nn__fail(
                t->net->message, BML_NN_NAN,
                "epoch %d: the loss or its gradient is not finite at batch %.0f; the weights are those after epoch %d",
                epoch, batches + 1, epoch - 1);
        }
    }
    t->last.epoch = epoch;
    t->last.batch = size;
    t->last.loss = total > 0 ? loss / total : 0;
    t->last.gradient_norm = norm / batches;
    t->last.accuracy = bml_nn__by_row(h->loss) || bml_nn__is_binary(h->loss) ? right / (double)t->n_train : BML_NN__NAN;
    bml_nn__validate(t);
    int judged = h->n_val || t->n_held;
    value = judged ? t->last.val_loss : t->last.loss;
    if (epoch >= h->first_epoch && value < t->last.best_loss) {
        t->last.best_loss = value;
        t->last.best_epoch = epoch;
        bml_nn__keep(t->best, t->net);
    }
    t->done = epoch >= h->epochs ||
              (h->patience && epoch >= h->first_epoch &&
               epoch - (t->last.best_epoch > h->first_epoch ? t->last.best_epoch : h->first_epoch) >= h->patience);
    return BML_NN_OK;
}

BML_NN_DEF int bml_nn_trainer_run(bml_nn_trainer *t, int epochs) {
    int status = BML_NN_OK;
    if (!t || epochs < 0) return BML_NN_BAD_ARGUMENT;
    if (!epochs) epochs = t->how.epochs;
    while (!status && !t->done && epochs-- > 0) {
        status = bml_nn__epoch(t);
        if (!status && t->how.callback && t->how.callback(&t->last, t->how.user)) {
            t->done = 1;
            status = bml_nn__fail(t->net->message, BML_NN_CANCELLED, "after epoch %d", t->last.epoch);
        }
        if (status != BML_NN_NAN && t->done && !t->how.keep_last && (t->how.n_val || t->n_held) && t->last.best_epoch)
            bml_nn__restore(t->net, t->best);
    }
    return status;
}

BML_NN_DEF int bml_nn_trainer_done(const bml_nn_trainer *t) {
    return t ? t->done : 1;
}

BML_NN_DEF bml_nn_epoch bml_nn_trainer_last(const bml_nn_trainer *t) {
    return t->last;
}

BML_NN_DEF int bml_nn_train(bml_nn *net, const bml_nn_training *training, bml_nn_epoch *result) {
    bml_nn_trainer *t;
    int status = bml_nn_trainer_create(&t, net, training, NULL);
    if (!status) status = bml_nn_trainer_run(t, 0);
    if (t && result) *result = t->last;
    bml_nn_trainer_free(t);
    return status;
}

/* >> splits and metrics */

BML_NN_DEF int bml_nn_split(int *part, const double *shares, int n_parts, const int *labels, size_t n, uint64_t seed) {
    double total = 0;
    if (!part || n_parts < 1 || n < (size_t)n_parts) return BML_NN_BAD_ARGUMENT;
    for (int p = 0; p < n_parts; p++) {
        if (shares && !(shares[p] > 0 && shares[p] < HUGE_VAL)) return BML_NN_BAD_ARGUMENT;
        total += shares ? shares[p] : 1;
    }
    size_t *order;
    order = (size_t *)bml_nn__alloc(n, sizeof *order);
    double *owed;
    owed = (double *)bml_nn__alloc((size_t)n_parts, sizeof *owed);
    if (!order || !owed) {
        BML_NN_FREE(order);
        BML_NN_FREE(owed);
        return BML_NN_NO_MEMORY;
    }
    bml_nn__shuffle(order, n, seed, 1);
    for (size_t i = 0; i < n; i++)
        part[i] = -1;
    size_t end;
    for (size_t start = 0; start < n;
         start = end) { /* label by label; each row goes to the part that is owed most so far */
        int label = 0;
        int found = 0;
        end = start;
        for (size_t i = 0; i < n; i++) {
            size_t row = order[i];
            int best = 0;
            if (part[row] >= 0 || (found && labels && labels[row] != label)) continue;
            if (!found) {
                found = 1;
                label = labels ? labels[row] : 0;
            }
            for (int p = 0; p < n_parts; p++)
                owed[p] += (shares ? shares[p] : 1) / total;
            for (int p = 1; p < n_parts; p++)
                best = owed[p] > owed[best] ? p : best;
            owed[best] -= 1;
            part[row] = best;
            end++;
        }
    }
    BML_NN_FREE(order);
    BML_NN_FREE(owed);
    return BML_NN_OK;
}

BML_NN_DEF int bml_nn_evaluate(bml_nn_metrics *out, const bml_nn_real *prediction, const bml_nn_real *target, size_t n,
                               size_t n_out) {
    bml_nn_metrics all = {0, 0, 0, 0};
    if (!out || !prediction || !target || !n || !n_out) return BML_NN_BAD_ARGUMENT;
    for (size_t j = 0; j < n_out; j++) {
        double mean = 0;
        double spread = 0;
        double square = 0;
        double size = 0;
        double logs = 0;
        for (size_t i = 0; i < n; i++)
            mean += (double)target[i * n_out + j];
        mean /= (double)n;
        double slope;
        for (size_t i = 0; i < n; i++) {
            double p = (double)prediction[i * n_out + j];
            double y = (double)target[i * n_out + j];
            spread += (y - mean) * (y - mean);
            square += (p - y) * (p - y);
            size += fabs(p - y);
            logs += bml_nn__element(&slope, BML_NN_MSLE, p, y);
        }
        out[j].r2 = spread > 0 ? 1 - square / spread : BML_NN__NAN;
        out[j].mse = square / (double)n;
        out[j].mae = size / (double)n;
        out[j].msle = logs / (double)n;
        all.r2 += out[j].r2 / (double)n_out;
        all.mse += out[j].mse / (double)n_out;
        all.mae += out[j].mae / (double)n_out;
        all.msle += out[j].msle / (double)n_out;
    }
    out[n_out] = all;
    return BML_NN_OK;
}

BML_NN_DEF int bml_nn_ks(double *distance, const bml_nn_real *a, size_t n, const bml_nn_real *b, size_t m) {
    double worst = 0;
    size_t i = 0;
    size_t j = 0;
    if (!distance || !a || !b || !n || !m || n > (size_t)-1 / 16 - m) return BML_NN_BAD_ARGUMENT;
    for (size_t k = 0; k < n + m; k++)
        if (k < n ? a[k] != a[k] : b[k - n] != b[k - n]) return BML_NN_BAD_ARGUMENT;
    double *s;
    s = (double *)bml_nn__alloc(n + m, sizeof *s);
    if (!s) return BML_NN_NO_MEMORY;
    for (size_t k = 0; k < n; k++)
        s[k] = (double)a[k];
    for (size_t k = 0; k < m; k++)
        s[n + k] = (double)b[k];
    qsort(s, n, sizeof *s, bml_nn__compare_doubles);
    qsort(s + n, m, sizeof *s, bml_nn__compare_doubles);
    while (i < n && j < m) {
        double v = s[i] < s[n + j] ? s[i] : s[n + j];
        while (i < n && s[i] <= v)
            i++;
        while (j < m && s[n + j] <= v)
            j++;
        double gap = fabs((double)i / (double)n - (double)j / (double)m);
        worst = gap > worst ? gap : worst;
    }
    BML_NN_FREE(s);
    *distance = worst;
    return BML_NN_OK;
}

BML_NN_DEF int bml_nn_dtw(double *distance, const bml_nn_real *a, size_t n, const bml_nn_real *b, size_t m) {
    if (!distance || !a || !b || !n || !m) return BML_NN_BAD_ARGUMENT;
    double *row;
    row = (double *)bml_nn__alloc(m, sizeof *row); /* best cost to (i-1, j), then to (i, j) */
    if (!row) return BML_NN_NO_MEMORY;
    double left;
    double corner;
    size_t j;
    for (size_t i = 0; i < n; i++)
        for (left = corner = HUGE_VAL, j = 0; j < m; j++) {
            double d = (double)a[i] - (double)b[j];
            double best = i ? row[j] : HUGE_VAL;
            best = left < best ? left : best;
            best = corner < best ? corner : best;
            if (!i && !j) best = 0;
            corner = i ? row[j] : HUGE_VAL;
            left = row[j] = best + d * d;
        }
    left = sqrt(row[m - 1]);
    BML_NN_FREE(row);
    *distance = left;
    return left == left ? BML_NN_OK : BML_NN_BAD_ARGUMENT;
}

/* >> safetensors, writing: 8 bytes of header length, a JSON header, the tensors one after another */

typedef struct bml_nn__bytes {
    unsigned char *p;
    size_t n, room;
    int failed; /* out of memory: what follows is dropped */
} bml_nn__bytes;

static void bml_nn__put(bml_nn__bytes *b, const void *data, size_t n) {
    if (n > b->room - b->n && !b->failed) {
        size_t room = b->room;
        unsigned char *p = NULL;
        if (bml_nn__add_mul(&room, n, 1) && bml_nn__mul(&room, room, 2))
            p = (unsigned char *)BML_NN_REALLOC(b->p, room);
        if (p) {
            b->p = p;
            b->room = room;
        } else
            b->failed = 1;
    }
    if (b->failed || !n) return;
    memcpy(b->p + b->n, data, n);
    b->n += n;
}

static void bml_nn__put_text(bml_nn__bytes *b, const char *text) {
    bml_nn__put(b, text, strlen(text));
}

/* A JSON string. */
static void bml_nn__put_string(bml_nn__bytes *b, const char *text) {
    char code[8];
    bml_nn__put_text(b, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') bml_nn__put_text(b, "\\");
        if ((unsigned char)*text < 0x20) {
            snprintf(code, sizeof code, "\\u%04x", (unsigned)(unsigned char)*text);
            bml_nn__put_text(b, code);
        } else
            bml_nn__put(b, text, 1);
    }
    bml_nn__put_text(b, "\"");
}

/* "12", "0.500000000000000", or "5p-3" for 5 2^-3; 0 if it is none of them. */
static int bml_nn__parse_decimal(double *value, const char *s) {
    double whole = 0;
    double part = 0;
    double unit = 1;
    double power = 0;
    int digits = 0;
    for (; *s >= '0' && *s <= '9'; s++, digits++)
        whole = whole * 10 + (*s - '0');
    if (*s == '.')
        for (s++; *s >= '0' && *s <= '9'; s++, digits++) {
            part = part * 10 + (*s - '0');
            unit *= 10;
        }
    *value = whole + part / unit;
    if (*s == 'p') {
        int negative = *++s == '-';
        for (s += negative; *s >= '0' && *s <= '9' && power < 1e4; s++)
            power = power * 10 + (*s - '0');
        *value = ldexp(*value, negative ? -(int)power : (int)power);
    }
    return digits && digits < 40 && !*s;
}

/* A positive number of a layer, the same in every locale and exact: as a decimal fraction where that comes back, else as a whole
   number times a power of two. */
static void bml_nn__put_decimal(bml_nn__bytes *b, double v) {
    char text[64];
    double whole = floor(v);
    double back = -1;
    if (v < 1e15) snprintf(text, sizeof text, "%.0f.%015.0f", whole, floor((v - whole) * 1e15 + 0.5));
    if (!(v < 1e15 && bml_nn__parse_decimal(&back, text) && back == v)) {
        int power;
        v = frexp(v, &power);
        snprintf(text, sizeof text, "%.0fp%d", ldexp(v, 53), power - 53);
    }
    bml_nn__put_text(b, text);
}

static const char *const bml_nn__dtypes[] = {"F32", "F16", "BF16", "F64"};
static const size_t bml_nn__dtype_size[] = {4, 2, 2, 8};

/* To half precision, or its upper half to bfloat16, to nearest, ties to even. */
static uint32_t bml_nn__narrow(float f, int dtype) {
    uint32_t u;
    memcpy(&u, &f, 4);
    if (dtype == BML_NN_BF16) return (u + 0x7FFFu + (u >> 16 & 1)) >> 16;
    uint32_t sign = u >> 16 & 0x8000u;
    uint32_t e = u >> 23 & 255u;
    uint32_t m = (u & 0x7FFFFFu) | 0x800000u;
    if (e < 102) return sign;                /* below half of the smallest, 2^-24 */
    if (e > 142) return sign | 0x7C00u;      /* infinite */
    uint32_t shift = e < 113 ? 126 - e : 13; /* subnormal, or normal */
    uint32_t half = m >> shift;
    if ((m & ((1u << shift) - 1)) + (half & 1) > 1u << (shift - 1)) half++;
    if (e < 113) return sign | half;
    return sign | (half + ((e - 113) << 10)); /* the hidden bit adds one to the exponent */
}

static float bml_nn__widen(uint32_t h, int dtype) {
    uint32_t u;
    uint32_t e = h >> 10 & 31u;
    uint32_t m = h & 1023u;
    if (dtype == BML_NN_BF16)
        u = h << 16;
    else if (e == 0)
        return (h & 0x8000u ? -1.0f : 1.0f) * (float)m * 5.9604644775390625e-8f; /* 2^-24 */
    else
        u = (h & 0x8000u) << 16 | (e == 31 ? 255u : e + 112u) << 23 | m << 13;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

/* Values as stored, little-endian. 0 if one is not finite as stored. */
static int bml_nn__put_values(bml_nn__bytes *b, const bml_nn_real *v, size_t n, int dtype) {
    for (size_t i = 0; i < n; i++) {
        unsigned char byte[8];
        uint64_t u = 0;
        float f = (float)v[i];
        if (dtype == BML_NN_F64) {
            double d = (double)v[i];
            memcpy(&u, &d, 8);
        } else {
            uint32_t w = 0;
            if (!isfinite(f)) return 0;
            if (dtype == BML_NN_F32)
                memcpy(&w, &f, 4);
            else {
                w = bml_nn__narrow(f, dtype);
                if (!isfinite(bml_nn__widen(w, dtype))) return 0;
            }
            u = w;
        }
        if (!isfinite(v[i])) return 0;
        for (size_t k = 0; k < bml_nn__dtype_size[dtype]; k++)
            byte[k] = (unsigned char)(u >> (8 * k));
        bml_nn__put(b, byte, bml_nn__dtype_size[dtype]);
    }
    return 1;
}

static const char bml_nn__gate_order[] = "gru z r n, lstm i f g o";

enum { BML_NN__KEY = 128, BML_NN__NATIVE = sizeof(bml_nn_real) == 8 ? BML_NN_F64 : BML_NN_F32 };

typedef struct bml_nn__entry { /* a tensor of a file */
    char name[BML_NN__KEY];
    int dtype, rank, taken;
    size_t shape[BML_NN__MAX_RANK], count;
    size_t begin, end;         /* reading: bytes of the data */
    const bml_nn_real *values; /* writing */
} bml_nn__entry;

#define BML_NN__INT_FIELDS(X) \
    X(units) X(steps) X(features) X(sequence) X(bidirectional) X(reset_before) X(kernel) X(stride) X(same) X(init)
#define BML_NN__DECIMAL_FIELDS(X) X(rate) X(slope) X(prior_sd)

/* "input name=x features=6; dense name=hidden from=x units=32 activation=tanh; ..." */
static void bml_nn__put_layers(bml_nn__bytes *b, const bml_nn *net) {
    char number[32];
    int i, k;
    for (i = 0; i < net->n_nodes; i++) {
        const bml_nn__node *n = &net->nodes[i];
        bml_nn__put_text(b, i ? "; " : "");
        bml_nn__put_text(b, bml_nn__kinds[n->spec.kind].name);
        bml_nn__put_text(b, " name=");
        bml_nn__put_text(b, n->name);
        for (k = 0; k < n->n_from; k++) {
            bml_nn__put_text(b, k ? "," : " from=");
            bml_nn__put_text(b, net->nodes[n->from[k]].name);
        }
        if (n->spec.activation) {
            bml_nn__put_text(b, " activation=");
            bml_nn__put_text(b, bml_nn__activations[n->spec.activation].name);
        }
#define BML_NN__PUT_INT(field)                                            \
    if (n->spec.field) {                                                  \
        snprintf(number, sizeof number, " " #field "=%d", n->spec.field); \
        bml_nn__put_text(b, number);                                      \
    }
        BML_NN__INT_FIELDS(BML_NN__PUT_INT)
#undef BML_NN__PUT_INT
#define BML_NN__PUT_DECIMAL(field)             \
    if (n->spec.field > 0) {                   \
        bml_nn__put_text(b, " " #field "=");   \
        bml_nn__put_decimal(b, n->spec.field); \
    }
        BML_NN__DECIMAL_FIELDS(BML_NN__PUT_DECIMAL)
#undef BML_NN__PUT_DECIMAL
    }
    bml_nn__put(b, "", 1);
}

/* The whole file: entries[n], and texts as pairs key, value, ..., NULL. */
static int bml_nn__put_file(bml_nn__bytes *b, bml_nn *net, bml_nn__entry *entries, int n, const char *const *texts) {
    size_t offset = 0;
    char text[160];
    bml_nn__put(b, "\0\0\0\0\0\0\0\0", 8);
    bml_nn__put_text(b, "{\"__metadata__\":{");
    for (int i = 0; texts[i]; i += 2) {
        bml_nn__put_text(b, i ? "," : "");
        bml_nn__put_string(b, texts[i]);
        bml_nn__put_text(b, ":");
        bml_nn__put_string(b, texts[i + 1]);
    }
    bml_nn__put_text(b, "}");
    for (int i = 0; i < n; i++) {
        size_t bytes = entries[i].count * bml_nn__dtype_size[entries[i].dtype];
        bml_nn__put_text(b, ",");
        bml_nn__put_string(b, entries[i].name);
        snprintf(text, sizeof text, ":{\"dtype\":\"%s\",\"shape\":[", bml_nn__dtypes[entries[i].dtype]);
        bml_nn__put_text(b, text);
        for (int k = 0; k < entries[i].rank; k++) {
            snprintf(text, sizeof text, "%s%.0f", k ? "," : "", (double)entries[i].shape[k]);
            bml_nn__put_text(b, text);
        }
        snprintf(text, sizeof text, "],\"data_offsets\":[%.0f,%.0f]}", (double)offset, (double)(offset + bytes));
        bml_nn__put_text(b, text);
        offset += bytes;
    }
    bml_nn__put_text(b, "}");
    while (b->n % 8 && !b->failed)
        bml_nn__put(b, " ", 1);
    size_t length = b->n - 8;
    for (int k = 0; k < 8 && !b->failed; k++)
        b->p[k] = (unsigned char)((uint64_t)length >> (8 * k));
    for (int i = 0; i < n && !b->failed; i++)
        if (!bml_nn__put_values(b, entries[i].values, entries[i].count, entries[i].dtype))
            return bml_nn__fail(net->message, BML_NN_BAD_DATA, "tensor \"%s\" holds a value that %s cannot store",
                                entries[i].name, bml_nn__dtypes[entries[i].dtype]);
    return b->failed ? bml_nn__fail(net->message, BML_NN_NO_MEMORY, "a file of %.0f bytes", (double)offset) : BML_NN_OK;
}

static void bml_nn__vector_entry(bml_nn__entry *e, const char *name, const bml_nn_real *values, size_t n, int dtype) {
    memset(e, 0, sizeof *e);
    snprintf(e->name, sizeof e->name, "%s", name);
    e->dtype = dtype;
    e->rank = 1;
    e->shape[0] = e->count = n;
    e->values = values;
}

/* One entry for each tensor of the net; returns how many. */
static int bml_nn__list_tensors(bml_nn__entry *entries, const bml_nn *net, int storage) {
    char name[BML_NN__KEY];
    for (int i = 0; i < net->n_tensors; i++) {
        const bml_nn__tensor *t = &net->tensors[i];
        snprintf(name, sizeof name, "%s.%s", net->nodes[t->node].name, t->what);
        bml_nn__vector_entry(&entries[i], name, (t->running ? net->running : net->params) + t->offset, t->count,
                             storage);
        entries[i].rank = t->rank;
        memcpy(entries[i].shape, t->shape, sizeof t->shape);
    }
    return net->n_tensors;
}

/* Tensors of the net, then scalers and arrays ("bml_nn:..." is no name of a layer). Returns how many; entries NULL: only counts. */
static int bml_nn__list(bml_nn__entry *entries, const bml_nn *net, int storage) {
    static const char *const scalers[2][2] = {{"bml_nn:inputs.shift", "bml_nn:inputs.scale"},
                                              {"bml_nn:outputs.shift", "bml_nn:outputs.scale"}};
    char name[BML_NN__KEY];
    int n = net->n_tensors;
    if (entries) bml_nn__list_tensors(entries, net, storage);
    for (int i = 0; i < 2; i++) {
        size_t m = i ? net->n_out : net->n_in;
        if (!net->shift[i]) continue;
        if (entries) {
            bml_nn__vector_entry(&entries[n], scalers[i][0], net->shift[i], m, BML_NN__NATIVE);
            bml_nn__vector_entry(&entries[n + 1], scalers[i][1], net->scale[i], m, BML_NN__NATIVE);
        }
        n += 2;
    }
    for (const bml_nn__extra *e = net->extras; e; e = e->next) {
        if (!e->values) continue;
        snprintf(name, sizeof name, "bml_nn:array.%s", e->name);
        if (entries) bml_nn__vector_entry(&entries[n], name, e->values, e->n, BML_NN__NATIVE);
        n++;
    }
    return n;
}

BML_NN_DEF int bml_nn_encode(bml_nn *net, unsigned char **bytes, size_t *size, int storage) {
    bml_nn__bytes b = {NULL, 0, 0, 0};
    bml_nn__bytes layers = {NULL, 0, 0, 0};
    bml_nn__entry *entries = NULL;
    const char **texts = NULL;
    int k = 8;
    int status = BML_NN_NO_MEMORY;
    if (bytes) *bytes = NULL;
    if (!net || !net->params || !bytes || !size || storage < BML_NN_F32 || storage > BML_NN_F64)
        return BML_NN_BAD_ARGUMENT;
    int n = bml_nn__list(NULL, net, storage);
    for (const bml_nn__extra *e = net->extras; e; e = e->next)
        k += 2;
    entries = (bml_nn__entry *)bml_nn__alloc((size_t)n, sizeof *entries);
    texts = (const char **)bml_nn__alloc((size_t)k, sizeof *texts);
    bml_nn__put_layers(&layers, net);
    if (entries && texts && !layers.failed) {
        bml_nn__list(entries, net, storage);
        k = 0;
        texts[k++] = "bml_nn";
        texts[k++] = "1";
        texts[k++] = "bml_nn.gates";
        texts[k++] = bml_nn__gate_order;
        texts[k++] = "bml_nn.layers";
        texts[k++] = (const char *)layers.p;
        for (const bml_nn__extra *e = net->extras; e; e = e->next)
            if (e->text) {
                texts[k++] = e->name;
                texts[k++] = e->text;
            }
        status = bml_nn__put_file(&b, net, entries, n, texts);
    }
    BML_NN_FREE(entries);
    BML_NN_FREE((void *)texts);
    BML_NN_FREE(layers.p);
    if (status)
        BML_NN_FREE(b.p);
    else {
        *bytes = b.p;
        *size = b.n;
    }
    return status;
}

BML_NN_DEF void bml_nn_free_bytes(unsigned char *bytes) {
    BML_NN_FREE(bytes);
}

/* >> safetensors, reading: every byte is checked before it is used */

typedef struct bml_nn__file {
    const unsigned char *at, *end; /* of the JSON header, while it is read */
    const unsigned char *data;
    size_t data_size;
    bml_nn__entry *entries; /* [n], in the order of their bytes */
    int n, room;
    char *text;         /* decoded texts, one after another */
    const char **pairs; /* key, value, ... into text */
    int n_texts, text_room;
    size_t text_used;
    char *message;
} bml_nn__file;

static int bml_nn__damaged(bml_nn__file *f, const char *why, const char *what) {
    return bml_nn__fail(f->message, BML_NN_BAD_FILE, "%s%s%s%s", why, what ? " \"" : "", what ? what : "",
                        what ? "\"" : "");
}

static void bml_nn__space(bml_nn__file *f) {
    while (f->at < f->end && (*f->at == ' ' || *f->at == '\t' || *f->at == '\n' || *f->at == '\r'))
        f->at++;
}

/* Takes the character if it is next. */
static int bml_nn__take(bml_nn__file *f, char c) {
    bml_nn__space(f);
    if (f->at >= f->end || *f->at != (unsigned char)c) return 0;
    f->at++;
    return 1;
}

/* Four hexadecimal digits, or -1. */
static long bml_nn__hex(bml_nn__file *f) {
    long v = 0;
    if (f->end - f->at < 4) return -1;
    for (int k = 0; k < 4; k++) {
        int c = *f->at++;
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0) return -1;
        v = v * 16 + d;
    }
    return v;
}

/* The code point of a \u escape, surrogate pairs put together; -1 if malformed. */
static long bml_nn__unicode(bml_nn__file *f) {
    long u = bml_nn__hex(f);
    if (u < 0xD800 || u > 0xDFFF) return u > 0 ? u : -1;
    if (u > 0xDBFF || f->end - f->at < 6 || f->at[0] != '\\' || f->at[1] != 'u') return -1;
    f->at += 2;
    long low = bml_nn__hex(f);
    return low < 0xDC00 || low > 0xDFFF ? -1 : 0x10000 + ((u - 0xD800) << 10) + (low - 0xDC00);
}

static size_t bml_nn__utf8(char *to, long u) {
    if (u < 0x80) {
        to[0] = (char)u;
        return 1;
    }
    if (u < 0x800) {
        to[0] = (char)(0xC0 | u >> 6);
        to[1] = (char)(0x80 | (u & 63));
        return 2;
    }
    if (u < 0x10000) {
        to[0] = (char)(0xE0 | u >> 12);
        to[1] = (char)(0x80 | (u >> 6 & 63));
        to[2] = (char)(0x80 | (u & 63));
        return 3;
    }
    to[0] = (char)(0xF0 | u >> 18);
    to[1] = (char)(0x80 | (u >> 12 & 63));
    to[2] = (char)(0x80 | (u >> 6 & 63));
    to[3] = (char)(0x80 | (u & 63));
    return 4;
}

/* A JSON string, decoded, with its 0, at the end of f->text, which is as long as the header and so has room. NULL if malformed. */
static const char *bml_nn__string(bml_nn__file *f) {
    char *start = f->text + f->text_used;
    char *to = start;
    if (!bml_nn__take(f, '"')) return NULL;
    while (f->at < f->end && *f->at != '"') {
        if (*f->at < 0x20) return NULL;
        if (*f->at == '\\') {
            static const char escape[] = "\"\\/bfnrt";
            static const char value[] = "\"\\/\b\f\n\r\t";
            if (f->end - ++f->at < 1) return NULL;
            if (*f->at == 'u') {
                f->at++;
                long u = bml_nn__unicode(f);
                if (u < 0) return NULL;
                to += bml_nn__utf8(to, u);
            } else {
                const char *which = *f->at ? strchr(escape, *f->at) : NULL;
                if (!which) return NULL;
                *to++ = value[which - escape];
                f->at++;
            }
        } else {
            size_t n = bml_nn__utf8_length(f->at, (size_t)(f->end - f->at));
            if (!n) return NULL;
            memcpy(to, f->at, n);
            to += n;
            f->at += n;
        }
    }
    if (f->at >= f->end) return NULL;
    f->at++;
    *to++ = 0;
    f->text_used = (size_t)(to - f->text);
    return start;
}

/* A whole number, digits only, below 2^62; 0 if it is none. */
static int bml_nn__number(bml_nn__file *f, size_t *value) {
    uint64_t v = 0;
    int digits = 0;
    bml_nn__space(f);
    for (; f->at < f->end && *f->at >= '0' && *f->at <= '9'; f->at++, digits++) {
        if (v > ((uint64_t)1 << 62) / 10 - 1) return 0;
        v = v * 10 + (uint64_t)(*f->at - '0');
    }
    *value = (size_t)v;
    return digits && *value == v;
}

/* Room for one more thing in an array that grows. */
static void *bml_nn__grow(void *p, int n, int *room, size_t size) {
    int want = *room ? *room * 2 : 16;
    if (n < *room) return p;
    size_t bytes;
    if (*room > 1 << 20 || !bml_nn__mul(&bytes, (size_t)want, size)) return NULL;
    void *q = BML_NN_REALLOC(p, bytes);
    if (q) *room = want;
    return q;
}

/* {"dtype": ..., "shape": [...], "data_offsets": [begin, end]} in any order, each once. */
static int bml_nn__read_tensor(bml_nn__file *f, bml_nn__entry *e) {
    int seen = 0;
    size_t expect = 1;
    e->dtype = -1;
    e->rank = 0;
    e->count = 1;
    if (!bml_nn__take(f, '{')) return bml_nn__damaged(f, "no description of tensor", e->name);
    do {
        size_t used = f->text_used;
        const char *key = bml_nn__string(f);
        int which = !key                           ? 0
                    : !strcmp(key, "dtype")        ? 1
                    : !strcmp(key, "shape")        ? 2
                    : !strcmp(key, "data_offsets") ? 4
                                                   : 0;
        f->text_used = used; /* not needed any more */
        if (!which || (seen & which) || !bml_nn__take(f, ':'))
            return bml_nn__damaged(f, "malformed description of tensor", e->name);
        seen |= which;
        if (which == 1) {
            const char *text = bml_nn__string(f);
            for (int k = 0; text && k < 4; k++)
                if (!strcmp(text, bml_nn__dtypes[k])) e->dtype = k;
            if (text && !strcmp(text, "I64")) e->dtype = 4; /* PyTorch's num_batches_tracked: passed over */
            f->text_used = used;
            if (e->dtype < 0) return bml_nn__damaged(f, "a dtype other than F64, F32, F16, BF16 in tensor", e->name);
        } else if (which == 2) {
            if (!bml_nn__take(f, '[')) return bml_nn__damaged(f, "malformed shape of tensor", e->name);
            if (bml_nn__take(f, ']')) continue;
            do {
                if (e->rank == BML_NN__MAX_RANK) return bml_nn__damaged(f, "too many dimensions in tensor", e->name);
                if (!bml_nn__number(f, &e->shape[e->rank]) || !bml_nn__mul(&e->count, e->count, e->shape[e->rank]))
                    return bml_nn__damaged(f, "malformed or too large shape of tensor", e->name);
                e->rank++;
            } while (bml_nn__take(f, ','));
            if (!bml_nn__take(f, ']')) return bml_nn__damaged(f, "malformed shape of tensor", e->name);
        } else if (!bml_nn__take(f, '[') || !bml_nn__number(f, &e->begin) || !bml_nn__take(f, ',') ||
                   !bml_nn__number(f, &e->end) || !bml_nn__take(f, ']'))
            return bml_nn__damaged(f, "malformed data_offsets of tensor", e->name);
    } while (bml_nn__take(f, ','));
    if (seen != 7 || !bml_nn__take(f, '}')) return bml_nn__damaged(f, "incomplete description of tensor", e->name);
    if (!bml_nn__mul(&expect, e->count, e->dtype == 4 ? 8 : bml_nn__dtype_size[e->dtype]) || e->begin > e->end ||
        e->end - e->begin != expect)
        return bml_nn__damaged(f, "shape and data_offsets disagree in tensor", e->name);
    if (e->end > f->data_size) return bml_nn__damaged(f, "the file ends before the data of tensor", e->name);
    return BML_NN_OK;
}

static int bml_nn__read_metadata(bml_nn__file *f) {
    if (!bml_nn__take(f, '{')) return bml_nn__damaged(f, "malformed metadata", NULL);
    if (bml_nn__take(f, '}')) return BML_NN_OK;
    do {
        const char *key = bml_nn__string(f);
        const char *value = key && bml_nn__take(f, ':') ? bml_nn__string(f) : NULL;
        if (!value) return bml_nn__damaged(f, "metadata must be strings", NULL);
        if (f->n_texts >= 4096) return bml_nn__damaged(f, "more than 4096 texts in the metadata", NULL);
        for (int i = 0; i < f->n_texts; i++)
            if (!strcmp(f->pairs[2 * i], key)) return bml_nn__damaged(f, "metadata twice:", key);
        const char **pairs;
        pairs = (const char **)bml_nn__grow((void *)f->pairs, f->n_texts, &f->text_room, 2 * sizeof *pairs);
        if (!pairs) return bml_nn__fail(f->message, BML_NN_NO_MEMORY, "metadata");
        f->pairs = pairs;
        f->pairs[2 * f->n_texts] = key;
        f->pairs[2 * f->n_texts + 1] = value;
        f->n_texts++;
    } while (bml_nn__take(f, ','));
    return bml_nn__take(f, '}') ? BML_NN_OK : bml_nn__damaged(f, "malformed metadata", NULL);
}

static int bml_nn__by_place(const void *a, const void *b) {
    const bml_nn__entry *x = (const bml_nn__entry *)a;
    const bml_nn__entry *y = (const bml_nn__entry *)b;
    return x->begin != y->begin ? (x->begin > y->begin) - (x->begin < y->begin) : (x->end > y->end) - (x->end < y->end);
}

static int bml_nn__by_name(const void *a, const void *b) {
    return strcmp(((const bml_nn__entry *)a)->name, ((const bml_nn__entry *)b)->name);
}

/* Names differ, and the tensors fill the data without gap or overlap. */
static int bml_nn__check_places(bml_nn__file *f) {
    size_t at = 0;
    if (f->n) qsort(f->entries, (size_t)f->n, sizeof *f->entries, bml_nn__by_name);
    for (int i = 1; i < f->n; i++)
        if (!strcmp(f->entries[i].name, f->entries[i - 1].name))
            return bml_nn__damaged(f, "two tensors named", f->entries[i].name);
    if (f->n) qsort(f->entries, (size_t)f->n, sizeof *f->entries, bml_nn__by_place);
    for (int i = 0; i < f->n; i++) {
        if (f->entries[i].begin < at)
            return bml_nn__damaged(f, "data overlap those of another tensor in", f->entries[i].name);
        if (f->entries[i].begin > at) return bml_nn__damaged(f, "a gap before the data of tensor", f->entries[i].name);
        at = f->entries[i].end;
    }
    return at == f->data_size ? BML_NN_OK : bml_nn__damaged(f, "bytes after the last tensor", NULL);
}

static void bml_nn__file_free(bml_nn__file *f) {
    BML_NN_FREE(f->entries);
    BML_NN_FREE((void *)f->pairs);
    BML_NN_FREE(f->text);
}

/* Reads the header of bytes[size]. Free the file whatever the status. */
static int bml_nn__file_read(bml_nn__file *f, const unsigned char *bytes, size_t size, char *message) {
    uint64_t length = 0;
    int status = BML_NN_OK;
    int metadata = 0;
    memset(f, 0, sizeof *f);
    f->message = message;
    if (size < 8) return bml_nn__damaged(f, "shorter than a safetensors header", NULL);
    for (int k = 0; k < 8; k++)
        length |= (uint64_t)bytes[k] << (8 * k);
    if (length > size - 8 || length > 100000000)
        return bml_nn__damaged(f, "the header is longer than the file, or than 100 MB", NULL);
    f->at = bytes + 8;
    f->end = f->at + length;
    f->data = f->end;
    f->data_size = size - 8 - (size_t)length;
    f->text = (char *)bml_nn__alloc((size_t)length + 1, 1);
    if (!f->text) return bml_nn__fail(message, BML_NN_NO_MEMORY, "a header of %.0f bytes", (double)length);
    if (!bml_nn__take(f, '{')) return bml_nn__damaged(f, "the header is not JSON", NULL);
    if (!bml_nn__take(f, '}')) {
        do {
            size_t used = f->text_used;
            const char *name = bml_nn__string(f);
            if (!name || !bml_nn__take(f, ':')) return bml_nn__damaged(f, "the header is not JSON", NULL);
            if (!strcmp(name, "__metadata__")) {
                status = metadata++ ? bml_nn__damaged(f, "metadata twice", NULL) : bml_nn__read_metadata(f);
                if (status) return status;
                continue;
            }
            if (strlen(name) >= BML_NN__KEY) return bml_nn__damaged(f, "the name of a tensor is too long", NULL);
            bml_nn__entry *e;
            e = (bml_nn__entry *)bml_nn__grow(f->entries, f->n, &f->room, sizeof *e);
            if (!e) return bml_nn__fail(message, BML_NN_NO_MEMORY, "%d tensors", f->n);
            f->entries = e;
            e += f->n++;
            memset(e, 0, sizeof *e);
            memcpy(e->name, name, strlen(name) + 1);
            f->text_used = used;
            status = bml_nn__read_tensor(f, e);
            if (status) return status;
        } while (bml_nn__take(f, ','));
        if (!bml_nn__take(f, '}')) return bml_nn__damaged(f, "the header is not JSON, or ends early", NULL);
    }
    bml_nn__space(f);
    if (f->at != f->end) return bml_nn__damaged(f, "something after the header's end", NULL);
    return bml_nn__check_places(f);
}

static bml_nn__entry *bml_nn__find_entry(bml_nn__file *f, const char *name) {
    for (int i = 0; i < f->n; i++)
        if (!strcmp(f->entries[i].name, name)) return &f->entries[i];
    return NULL;
}

static const char *bml_nn__find_text(const bml_nn__file *f, const char *key) {
    for (int i = 0; i < f->n_texts; i++)
        if (!strcmp(f->pairs[2 * i], key)) return f->pairs[2 * i + 1];
    return NULL;
}

/* Value i of a tensor. */
static double bml_nn__value(const bml_nn__file *f, const bml_nn__entry *e, size_t i) {
    size_t size = bml_nn__dtype_size[e->dtype];
    const unsigned char *p = f->data + e->begin + i * size;
    uint64_t u = 0;
    for (size_t k = 0; k < size; k++)
        u |= (uint64_t)p[k] << (8 * k);
    if (e->dtype == BML_NN_F64) {
        double d;
        memcpy(&d, &u, 8);
        return d;
    }
    uint32_t w = (uint32_t)u;
    if (e->dtype != BML_NN_F32) return (double)bml_nn__widen(w, e->dtype);
    float single;
    memcpy(&single, &w, 4);
    return (double)single;
}

/* The tensor `name`, which must have this shape, to `to`; marks it taken. */
static int bml_nn__take_tensor(bml_nn_real *to, bml_nn__file *f, const char *name, int rank, const size_t *shape) {
    bml_nn__entry *e = bml_nn__find_entry(f, name);
    if (!e) return bml_nn__fail(f->message, BML_NN_MISMATCH, "no tensor \"%s\"", name);
    if (e->dtype > BML_NN_F64) return bml_nn__fail(f->message, BML_NN_MISMATCH, "tensor \"%s\" holds integers", name);
    for (int k = 0; k < rank; k++)
        if (e->rank != rank || e->shape[k] != shape[k])
            return bml_nn__fail(f->message, BML_NN_MISMATCH,
                                "tensor \"%s\" has another shape: dimension %d is %.0f of %d, not %.0f of %d", name, k,
                                k < e->rank ? (double)e->shape[k] : 0.0, e->rank, (double)shape[k], rank);
    for (size_t i = 0; i < e->count; i++) {
        to[i] = (bml_nn_real)bml_nn__value(f, e, i);
        if (!isfinite(to[i]))
            return bml_nn__fail(f->message, BML_NN_MISMATCH, "tensor \"%s\": value %.0f is not finite", name,
                                (double)i);
    }
    e->taken = 1;
    return BML_NN_OK;
}

static int bml_nn__all_taken(bml_nn__file *f) {
    for (int i = 0; i < f->n; i++)
        if (!f->entries[i].taken)
            return bml_nn__fail(f->message, BML_NN_MISMATCH, "tensor \"%s\" belongs to no layer", f->entries[i].name);
    return BML_NN_OK;
}

/* >> model files */

static int bml_nn__index_of(const char *name, const char *(*at)(int), int n) {
    for (int i = 0; i < n; i++)
        if (!strcmp(name, at(i))) return i;
    return -1;
}
static const char *bml_nn__kind_name(int i) {
    return bml_nn__kinds[i].name;
}
static const char *bml_nn__activation_name(int i) {
    return bml_nn__activations[i].name;
}

/* One field=value of a layer, cut out of the text it stands in; each field once. */
static int bml_nn__parse_field(bml_nn_layer *l, char *field, char *value) {
    double number = 0;
    int good = bml_nn__parse_decimal(&number, value), k;
    if (!strcmp(field, "name") && !l->name) {
        l->name = value;
        return 1;
    }
    if (!strcmp(field, "activation") && !l->activation)
        return (l->activation = bml_nn__index_of(value, bml_nn__activation_name, BML_NN_N_ACTIVATIONS)) >= 0;
    if (!strcmp(field, "from") && !l->from[0]) {
        for (k = 0; k < BML_NN_MAX_FROM && value; k++) {
            char *comma = strchr(value, ',');
            l->from[k] = value;
            if (comma) *comma++ = 0;
            value = comma;
        }
        return !value;
    }
#define BML_NN__GET_INT(name)                                                  \
    if (!strcmp(field, #name) && good && !l->name && number <= 2147483647.0) { \
        l->name = (int)number;                                                 \
        return (double)l->name == number;                                      \
    }
    BML_NN__INT_FIELDS(BML_NN__GET_INT)
#undef BML_NN__GET_INT
#define BML_NN__GET_DECIMAL(name)                          \
    if (!strcmp(field, #name) && good && !(l->name > 0)) { \
        l->name = number;                                  \
        return 1;                                          \
    }
    BML_NN__DECIMAL_FIELDS(BML_NN__GET_DECIMAL)
#undef BML_NN__GET_DECIMAL
    return 0;
}

/* A net of the layers in `text`, which is taken apart, with at most `most` parameters. */
static int bml_nn__parse_layers(bml_nn **net, char *text, size_t most, char *message) {
    bml_nn_config config = {NULL, 0, 0};
    char *line;
    int n = 1;
    int status = BML_NN_OK;
    for (line = text; *line; line++)
        n += *line == ';';
    if (n > BML_NN__MAX_LAYERS)
        return bml_nn__fail(message, BML_NN_BAD_FILE, "more than %d layers", BML_NN__MAX_LAYERS);
    bml_nn_layer *layers;
    layers = (bml_nn_layer *)bml_nn__alloc((size_t)n, sizeof *layers);
    if (!layers) return BML_NN_NO_MEMORY;
    char *next;
    for (line = text, n = 0; line && !status; line = next, n++) {
        next = strchr(line, ';');
        if (next) *next++ = 0;
        line += strspn(line, " ");
        char *rest = strchr(line, ' ');
        if (rest) *rest++ = 0;
        layers[n].kind = bml_nn__index_of(line, bml_nn__kind_name, BML_NN_N_KINDS);
        if (layers[n].kind < 0)
            status = bml_nn__fail(message, BML_NN_BAD_FILE, "layer %d: no such kind, \"%.40s\"", n, line);
        while (rest && *rest && !status) {
            char *word = rest;
            rest = strchr(word, ' ');
            if (rest) *rest++ = 0;
            char *value = strchr(word, '=');
            if (value) *value++ = 0;
            if (!value || !bml_nn__parse_field(&layers[n], word, value))
                status = bml_nn__fail(message, BML_NN_BAD_FILE, "layer %d: cannot read \"%.40s\"", n, word);
        }
    }
    config.layers = layers;
    config.n_layers = n;
    if (!status) status = bml_nn__make(net, &config, most, message);
    BML_NN_FREE(layers);
    return status;
}

/* Scalers, arrays and texts of a file. */
static int bml_nn__take_extras(bml_nn *net, bml_nn__file *f) {
    static const char prefix[] = "bml_nn:array.";
    static const char *const scalers[2][2] = {{"bml_nn:inputs.shift", "bml_nn:inputs.scale"},
                                              {"bml_nn:outputs.shift", "bml_nn:outputs.scale"}};
    int status = BML_NN_OK;
    for (int i = 0; i < 2 && !status; i++) {
        size_t n = i ? net->n_out : net->n_in;
        if (!bml_nn__find_entry(f, scalers[i][0]) && !bml_nn__find_entry(f, scalers[i][1])) continue;
        bml_nn_real *values = bml_nn__reals(2 * n);
        if (!values) return bml_nn__fail(f->message, BML_NN_NO_MEMORY, "a scaler");
        status = bml_nn__take_tensor(values, f, scalers[i][0], 1, &n);
        if (!status) status = bml_nn__take_tensor(values + n, f, scalers[i][1], 1, &n);
        if (!status && (status = bml_nn_set_scaler(net, i, values, values + n)) == BML_NN_BAD_ARGUMENT)
            status = bml_nn__fail(f->message, BML_NN_MISMATCH, "tensor \"%s\" is not positive", scalers[i][1]);
        BML_NN_FREE(values);
    }
    for (int i = 0; i < f->n && !status; i++) {
        bml_nn__entry *e = &f->entries[i];
        if (strncmp(e->name, prefix, sizeof prefix - 1)) continue;
        bml_nn_real *values = bml_nn__reals(e->count);
        if (!values) return bml_nn__fail(f->message, BML_NN_NO_MEMORY, "\"%s\"", e->name);
        status = bml_nn__take_tensor(values, f, e->name, 1, &e->count);
        if (!status &&
            (status = bml_nn_set_array(net, e->name + sizeof prefix - 1, values, e->count)) == BML_NN_BAD_ARGUMENT)
            status = bml_nn__fail(f->message, BML_NN_MISMATCH, "array \"%s\" has a bad name or no values", e->name);
        BML_NN_FREE(values);
    }
    for (int i = 0; i < f->n_texts && !status; i++) {
        const char *key = f->pairs[2 * i];
        if (!strncmp(key, "bml_nn", 6) || !bml_nn__good_name(key, BML_NN__MAX_KEY))
            continue; /* "format" and the like */
        if (bml_nn_set_text(net, key, f->pairs[2 * i + 1]))
            status = bml_nn__fail(f->message, BML_NN_NO_MEMORY, "\"%s\"", key);
    }
    return status;
}

static int bml_nn__check_variances(const bml_nn_real *values, const bml_nn *net, bml_nn__file *f) {
    for (int i = 0; i < net->n_tensors; i++)
        for (size_t k = 0; net->tensors[i].start == BML_NN__VARIANCE && k < net->tensors[i].count; k++)
            if (values[net->n_params + net->tensors[i].offset + k] < 0)
                return bml_nn__fail(f->message, BML_NN_MISMATCH, "tensor \"%s.variance\": value %.0f is negative",
                                    net->nodes[net->tensors[i].node].name, (double)k);
    return BML_NN_OK;
}

/* All tensors of the net in our own order, into values laid out as params, then running. */
static int bml_nn__take_own(bml_nn_real *values, const bml_nn *net, bml_nn__file *f) {
    char name[BML_NN__KEY];
    int status = BML_NN_OK;
    for (int i = 0; i < net->n_tensors && !status; i++) {
        const bml_nn__tensor *t = &net->tensors[i];
        snprintf(name, sizeof name, "%s.%s", net->nodes[t->node].name, t->what);
        status = bml_nn__take_tensor(values + t->offset + (t->running ? net->n_params : 0), f, name, t->rank, t->shape);
    }
    return status ? status : bml_nn__check_variances(values, net, f);
}

BML_NN_DEF int bml_nn_decode(bml_nn **out, const unsigned char *bytes, size_t size, char *why) {
    char message[BML_NN_MESSAGE] = "";
    bml_nn *net = NULL;
    char *layers = NULL;
    bml_nn_real *values = NULL;
    if (out) *out = NULL;
    if (!out || (!bytes && size))
        return bml_nn__reason(why, BML_NN_BAD_ARGUMENT, "a net is read from bytes, to a place");
    bml_nn__file f;
    int status = bml_nn__file_read(&f, bytes, size, message);
    if (!status && !bml_nn__find_text(&f, "bml_nn.layers"))
        status = bml_nn__damaged(&f, "no architecture in the file: bml_nn_load_weights takes weights alone", NULL);
    if (!status && (!bml_nn__find_text(&f, "bml_nn") || strcmp(bml_nn__find_text(&f, "bml_nn"), "1")))
        status = bml_nn__damaged(&f, "another version of the format than", "1");
    if (!status &&
        (!bml_nn__find_text(&f, "bml_nn.gates") || strcmp(bml_nn__find_text(&f, "bml_nn.gates"), bml_nn__gate_order)))
        status = bml_nn__damaged(&f, "another order of gates than", bml_nn__gate_order);
    if (!status && (layers = bml_nn__copy_text(bml_nn__find_text(&f, "bml_nn.layers"))) == NULL)
        status = BML_NN_NO_MEMORY;
    if (!status) status = bml_nn__parse_layers(&net, layers, f.data_size / 2, message);
    if (!status && (values = bml_nn__reals(net->n_params + net->n_running)) == NULL) status = BML_NN_NO_MEMORY;
    if (!status) status = bml_nn__take_own(values, net, &f);
    if (!status) status = bml_nn__take_extras(net, &f);
    if (!status) status = bml_nn__all_taken(&f);
    if (!status) bml_nn__restore(net, values);
    bml_nn__reason(why, status, message);
    if (status)
        bml_nn_free(net);
    else
        *out = net;
    BML_NN_FREE(values);
    BML_NN_FREE(layers);
    bml_nn__file_free(&f);
    return status;
}

/* The whole file, or NULL with the status; *size. */
static unsigned char *bml_nn__slurp(const char *path, size_t *size, int *status, char *message) {
    bml_nn__bytes b = {NULL, 0, 0, 0};
    unsigned char block[4096];
    FILE *f = path ? fopen(path, "rb") : NULL;
    *status = BML_NN_CANNOT_OPEN;
    if (message) bml_nn__fail(message, *status, "%.400s", path ? path : "no path");
    if (!f) return NULL;
    size_t n;
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        bml_nn__put(&b, block, n);
    *status = ferror(f) ? BML_NN_CANNOT_OPEN : b.failed ? BML_NN_NO_MEMORY : BML_NN_OK;
    fclose(f);
    *size = b.n;
    if (*status == BML_NN_OK && !b.p) b.p = (unsigned char *)bml_nn__alloc(1, 1);
    if (*status == BML_NN_OK) {
        if (message) message[0] = 0;
        return b.p;
    }
    BML_NN_FREE(b.p);
    return NULL;
}

/* Whole under a temporary name, then renamed: a reader never sees half a file. */
static int bml_nn__spill(bml_nn *net, const char *path, const unsigned char *bytes, size_t size) {
    size_t n = path ? strlen(path) : 0;
    char *temporary = n ? (char *)BML_NN_MALLOC(n + 8) : NULL;
    if (!temporary) return bml_nn__fail(net->message, n ? BML_NN_NO_MEMORY : BML_NN_BAD_ARGUMENT, "the path of a file");
    memcpy(temporary, path, n);
    memcpy(temporary + n, ".part", 6);
    FILE *f = fopen(temporary, "wb");
    int ok = f && fwrite(bytes, 1, size, f) == size;
    if (f && fclose(f)) ok = 0;
    if (ok && rename(temporary, path)) ok = 0;
    if (!ok && f) remove(temporary);
    BML_NN_FREE(temporary);
    if (!ok) return bml_nn__fail(net->message, f ? BML_NN_CANNOT_WRITE : BML_NN_CANNOT_OPEN, "%.400s", path);
    return BML_NN_OK;
}

BML_NN_DEF int bml_nn_save(bml_nn *net, const char *path, int storage) {
    unsigned char *bytes = NULL;
    size_t size = 0;
    int status = bml_nn_encode(net, &bytes, &size, storage);
    if (!status) status = bml_nn__spill(net, path, bytes, size);
    BML_NN_FREE(bytes);
    return status;
}

BML_NN_DEF int bml_nn_load(bml_nn **net, const char *path, char *why) {
    size_t size = 0;
    char message[BML_NN_MESSAGE];
    if (!net) return bml_nn__reason(why, BML_NN_BAD_ARGUMENT, "no place for the net");
    *net = NULL;
    int status;
    unsigned char *bytes = bml_nn__slurp(path, &size, &status, message);
    if (!bytes) return bml_nn__reason(why, status, message);
    status = bml_nn_decode(net, bytes, size, why);
    BML_NN_FREE(bytes);
    return status;
}

/* One tensor of PyTorch's state_dict into our order: to[i][j] of [rows][gates U] is from[gate(j)][i]. `what` is our name. */
static int bml_nn__take_pytorch(bml_nn_real *to, const bml_nn *net, const bml_nn__tensor *t, bml_nn__file *f) {
    const bml_nn__node *n = &net->nodes[t->node];
    int reverse = strstr(t->what, "_reverse") != NULL;
    int recurrent = bml_nn__kinds[n->spec.kind].plan == bml_nn__plan_recurrent;
    const char *suffix = reverse ? "_l0_reverse" : "_l0";
    const char *what = t->what;
    const char *names[2] = {NULL, NULL};
    size_t G = t->shape[t->rank - 1];
    size_t in = t->rank > 1 ? t->shape[0] : 1;
    size_t u = (size_t)n->spec.units;
    size_t shape[3] = {0, 0, 0};
    bml_nn_real *values = bml_nn__reals(t->count);
    char name[BML_NN__KEY];
    int status = BML_NN_OK;
    int bias = !strncmp(what, "bias", 4);
    if (n->spec.reset_before || n->spec.kind == BML_NN_BAYES) {
        BML_NN_FREE(values);
        return bml_nn__fail(f->message, BML_NN_MISMATCH,
                            "layer \"%s\": PyTorch has no such layer (its GRU resets after the product)", n->name);
    }
    if (!values) return bml_nn__fail(f->message, BML_NN_NO_MEMORY, "\"%s.%s\"", n->name, what);
    if (recurrent && bias) {
        names[0] = "bias_ih";
        names[1] = "bias_hh";
    } else if (recurrent)
        names[0] = strncmp(what, "recurrent", 9) ? "weight_ih" : "weight_hh";
    else
        names[0] = !strcmp(what, "kernel") || !strcmp(what, "gamma") ? "weight"
                   : !strcmp(what, "beta") || !strcmp(what, "bias")  ? "bias"
                   : !strcmp(what, "mean")                           ? "running_mean"
                   : !strcmp(what, "variance")                       ? "running_var"
                                                                     : what;
    for (int k = 0; k < 2 && names[k] && !status; k++) {
        int rank = recurrent && bias ? 1 : t->rank;
        snprintf(name, sizeof name, "%s.%s%s", n->name, names[k], recurrent ? suffix : "");
        for (size_t i = 0; i < (size_t)rank; i++)
            shape[i] = t->shape[t->rank - 1 - (int)i]; /* dimensions reversed; biases: [G] */
        status = bml_nn__take_tensor(values, f, name, rank, shape);
        for (size_t i = 0; i < in && !status; i++)
            for (size_t j = 0; j < G; j++) {
                size_t gate = recurrent ? j / u : 0;
                size_t from = n->spec.kind == BML_NN_GRU && gate < 2 ? (1 - gate) * u + j % u : j; /* r z n -> z r n */
                if (rank == 3) /* [out][in][kernel] to [kernel][in][out] */
                    for (from = 0; from < t->shape[1]; from++)
                        to[(i * t->shape[1] + from) * G + j] = values[(j * t->shape[1] + from) * in + i];
                else if (!(recurrent && bias))
                    to[i * G + j] = values[rank == 1 ? j : from * in + i];
                else if (t->rank == 2) { /* GRU, two rows */
                    if ((int)i == k) to[i * G + j] = values[from];
                } else
                    to[j] = values[from] + (k ? to[j] : 0);
            }
    }
    BML_NN_FREE(values);
    return status;
}

BML_NN_DEF int bml_nn_load_weights(bml_nn *net, const char *path, int convention) {
    size_t size = 0;
    int status;
    if (!net || !net->params || convention < BML_NN_KERAS || convention > BML_NN_PYTORCH) return BML_NN_BAD_ARGUMENT;
    unsigned char *bytes = bml_nn__slurp(path, &size, &status, net->message);
    if (!bytes) return status;
    bml_nn__file f;
    status = bml_nn__file_read(&f, bytes, size, net->message);
    bml_nn_real *values = bml_nn__reals(net->n_params + net->n_running);
    if (!values && !status) status = bml_nn__fail(net->message, BML_NN_NO_MEMORY, "weights");
    if (!status && convention == BML_NN_KERAS) status = bml_nn__take_own(values, net, &f);
    for (int i = 0; i < net->n_tensors && !status && convention == BML_NN_PYTORCH; i++) {
        const bml_nn__tensor *t = &net->tensors[i];
        status = bml_nn__take_pytorch(values + t->offset + (t->running ? net->n_params : 0), net, t, &f);
    }
    if (!status) status = bml_nn__check_variances(values, net, &f);
    for (int i = 0; i < f.n; i++) {
        const char *dot = strrchr(f.entries[i].name, '.');
        if (dot && !strcmp(dot, ".num_batches_tracked")) f.entries[i].taken = 1;
    }
    if (!status) status = bml_nn__all_taken(&f);
    if (!status) bml_nn__restore(net, values);
    BML_NN_FREE(values);
    bml_nn__file_free(&f);
    BML_NN_FREE(bytes);
    return status;
}

/* >> checkpoints of training: the net's tensors, the optimiser's, the best weights, and the counters as exact numbers */

enum { BML_NN__COUNTERS = 12 };

/* Settings that must be the same when training goes on. */
static void bml_nn__identity(char *text, size_t size, const bml_nn_trainer *t) {
    const bml_nn_training *h = &t->how;
    snprintf(text, size,
             "rows %.0f, validation %.0f, seed %08x%08x, loss %d, optimizer %d, batch %d, epochs %d, block %d, reals "
             "of %d bytes",
             (double)t->n_train, (double)(t->n_held + h->n_val), (unsigned)(h->seed >> 32),
             (unsigned)(h->seed & 0xFFFFFFFFu), h->loss, h->optimizer, h->batch, h->epochs, h->block,
             (int)sizeof(bml_nn_real));
}

/* Counters in halves that a float holds exactly; doubles as bits in 16-bit parts. */
static void bml_nn__put_word(bml_nn_real *to, uint64_t v) {
    for (int k = 0; k < 4; k++)
        to[k] = (bml_nn_real)(v >> (16 * k) & 0xFFFFu);
}
static uint64_t bml_nn__get_word(const bml_nn_real *from) {
    uint64_t v = 0;
    for (int k = 0; k < 4; k++)
        v |= (uint64_t)from[k] << (16 * k);
    return v;
}

/* Between the trainer and words[COUNTERS]; save = 1 writes them. */
static void bml_nn__counters(bml_nn_trainer *t, bml_nn_real *words, int save) {
    double *const numbers[] = {&t->last.loss,          &t->last.val_loss,      &t->last.accuracy, &t->last.val_accuracy,
                               &t->last.learning_rate, &t->last.gradient_norm, &t->last.best_loss};
    int *const counts[] = {&t->last.epoch, &t->last.batch, &t->last.best_epoch, &t->done};
    int k = 0;
    if (save)
        bml_nn__put_word(words, t->step);
    else
        t->step = bml_nn__get_word(words);
    uint64_t u;
    for (int i = 0; i < 7; i++) {
        k++;
        memcpy(&u, numbers[i], 8);
        if (save)
            bml_nn__put_word(words + 4 * k, u);
        else {
            u = bml_nn__get_word(words + 4 * k);
            memcpy(numbers[i], &u, 8);
        }
    }
    for (int i = 0; i < 4; i++) {
        k++;
        if (save)
            bml_nn__put_word(words + 4 * k, (uint64_t)*counts[i]);
        else
            *counts[i] = (int)bml_nn__get_word(words + 4 * k);
    }
}

/* Whether words[COUNTERS], v and the counters they hold can be those of this training; t keeps its own if not. */
static int bml_nn__good_counters(const bml_nn_trainer *t, bml_nn_real *words, const bml_nn_real *v) {
    bml_nn_trainer trial = *t;
    for (size_t i = 0; i < 4 * BML_NN__COUNTERS; i++)
        if (!(words[i] >= 0 && words[i] <= 65535 && words[i] == (bml_nn_real)(int)words[i])) return 0;
    for (size_t i = 8; i < BML_NN__COUNTERS; i++) /* counts are of 32 bits */
        if (words[4 * i + 2] > 0 || words[4 * i + 3] > 0) return 0;
    for (size_t i = 0; i < t->net->n_params; i++)
        if (v[i] < 0) return 0;
    bml_nn__counters(&trial, words, 0);
    return trial.last.epoch >= 0 && trial.last.epoch <= t->how.epochs && trial.last.best_epoch >= 0 &&
           trial.last.best_epoch <= trial.last.epoch && trial.step <= t->steps && trial.last.batch >= 0 &&
           (trial.done == 0 || trial.done == 1);
}

/* The trainer's own tensors, in a fixed order. */
static int bml_nn__trainer_entries(bml_nn__entry *e, bml_nn_trainer *t, bml_nn_real *words) {
    size_t weights = t->net->n_params + t->net->n_running;
    bml_nn__vector_entry(&e[0], "bml_nn:trainer.counters", words, 4 * BML_NN__COUNTERS, BML_NN__NATIVE);
    bml_nn__vector_entry(&e[1], "bml_nn:trainer.m", t->m, t->net->n_params, BML_NN__NATIVE);
    bml_nn__vector_entry(&e[2], "bml_nn:trainer.v", t->v, t->net->n_params, BML_NN__NATIVE);
    bml_nn__vector_entry(&e[3], "bml_nn:trainer.best", t->best, weights, BML_NN__NATIVE);
    return 4;
}

BML_NN_DEF int bml_nn_trainer_save(bml_nn_trainer *t, const char *path) {
    bml_nn__bytes b = {NULL, 0, 0, 0};
    bml_nn_real words[4 * BML_NN__COUNTERS] = {0};
    char identity[256];
    const char *texts[] = {"bml_nn.training", identity, NULL};
    if (!t || !path) return BML_NN_BAD_ARGUMENT;
    bml_nn__entry *entries;
    entries = (bml_nn__entry *)bml_nn__alloc((size_t)t->net->n_tensors + 4, sizeof *entries);
    if (!entries) return bml_nn__fail(t->net->message, BML_NN_NO_MEMORY, "a checkpoint");
    int n = bml_nn__list_tensors(entries, t->net, BML_NN__NATIVE);
    bml_nn__identity(identity, sizeof identity, t);
    bml_nn__counters(t, words, 1);
    n += bml_nn__trainer_entries(entries + n, t, words);
    int status = bml_nn__put_file(&b, t->net, entries, n, texts);
    if (!status) status = bml_nn__spill(t->net, path, b.p, b.n);
    BML_NN_FREE(entries);
    BML_NN_FREE(b.p);
    return status;
}

BML_NN_DEF int bml_nn_trainer_load(bml_nn_trainer *t, const char *path) {
    bml_nn__entry own[4];
    bml_nn_real words[4 * BML_NN__COUNTERS] = {0};
    bml_nn_real *values[4] = {NULL, NULL, NULL, NULL};
    bml_nn_real *weights = NULL;
    char identity[256];
    size_t size = 0;
    int status;
    if (!t) return BML_NN_BAD_ARGUMENT;
    unsigned char *bytes = bml_nn__slurp(path, &size, &status, t->net->message);
    if (!bytes) return status;
    bml_nn__file f;
    status = bml_nn__file_read(&f, bytes, size, t->net->message);
    bml_nn__identity(identity, sizeof identity, t);
    const char *found = bml_nn__find_text(&f, "bml_nn.training");
    if (!status && (!found || strcmp(found, identity)))
        status = bml_nn__fail(t->net->message, BML_NN_MISMATCH, "the checkpoint is of another training: %.200s",
                              found ? found : "none");
    int n = bml_nn__trainer_entries(own, t, words);
    weights = bml_nn__reals(t->net->n_params + t->net->n_running);
    if (!weights && !status) status = BML_NN_NO_MEMORY;
    if (!status) status = bml_nn__take_own(weights, t->net, &f);
    for (int i = 0; i < n && !status; i++) {
        values[i] = bml_nn__reals(own[i].count);
        if (!values[i])
            status = BML_NN_NO_MEMORY;
        else
            status = bml_nn__take_tensor(values[i], &f, own[i].name, 1, own[i].shape);
    }
    if (!status) status = bml_nn__all_taken(&f);
    if (!status && !bml_nn__good_counters(t, values[0], values[2]))
        status = bml_nn__fail(t->net->message, BML_NN_BAD_FILE, "the counters of the checkpoint make no sense");
    if (!status) {
        bml_nn__restore(t->net, weights);
        bml_nn__counters(t, values[0], 0);
        memcpy(t->m, values[1], own[1].count * sizeof *t->m);
        memcpy(t->v, values[2], own[2].count * sizeof *t->v);
        memcpy(t->best, values[3], own[3].count * sizeof *t->best);
    }
    for (int i = 0; i < 4; i++)
        BML_NN_FREE(values[i]);
    BML_NN_FREE(weights);
    bml_nn__file_free(&f);
    BML_NN_FREE(bytes);
    return status;
}

#endif /* BML_NN_IMPLEMENTATION */

/* Changes
   0.1.0  the first version

   Public domain (unlicense.org), or the MIT licence, at your choice: see the file LICENSE. */
