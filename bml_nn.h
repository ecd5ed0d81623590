/* bml_nn.h: neural networks that train, infer and say how sure they are, in one file of C.

   Dense, recurrent (GRU, LSTM), convolutional, residual and branched networks with dropout, normalisation and Bayesian
   layers; training with validation and early stopping; draws for uncertainties; gradients for samplers; safetensors
   files.

   In ONE source file:           #define BML_NN_IMPLEMENTATION
                                 #include "bml_nn.h"
   everywhere else just:         #include "bml_nn.h"            and link with -lm

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

/* ---- Setup, use, shutdown ------------------------------------------------------------------------------------------

   1. Write the layers as an array, inputs first; each takes the one before it, or those that it names in `from`.
   2. bml_nn_create(&net, &config, why). A refused configuration gives no net, and char why[BML_NN_MESSAGE] says which
      layer and what is wrong. bml_nn_summary(text, size, net) prints the layers, their shapes and numbers of
      parameters.
   3. Optional: bml_nn_fit_scaler(net, BML_NN_INPUTS, BML_NN_STANDARD, x, n), the same for BML_NN_OUTPUTS. From then on
      training and prediction take and give your units; the scaling travels in the model file.
   4. bml_nn_train(net, &training, &result); or, to stop and resume, bml_nn_trainer_create, _run, _save, _load, _free.
   5. bml_nn_predict(net, work, y, x, n). work = NULL makes a workspace for that one call; in a loop make one, once:
      bml_nn_work_create(&work, net, rows, threads, why). A const net serves many threads, each with its own work.
      bml_nn_draws for Monte Carlo dropout and Bayesian weights, bml_nn_vjp and bml_nn_gradient for derivatives.
   6. bml_nn_save(net, path, BML_NN_F32), bml_nn_load(&net, path, why); bml_nn_free.

   A row x is the inputs of the net one after another, in the order of its INPUT layers, n_in numbers in all; an input
   that is a sequence is stored step by step, [steps][features]. A row y is the output of the last layer, n_out numbers.

   ---- Options -------------------------------------------------------------------------------------------------------

   BML_NN_IMPLEMENTATION         this file gives the functions, not only their declarations
   BML_NN_IMPLEMENTED            defined where the functions exist; define it yourself when you link them from a library
   BML_NN_STATIC                 all functions static (define with the above): several private copies in one program;
                                 where few are used it compiles in two thirds of the time
   BML_NN_MALLOC(n), BML_NN_FREE(p)     own allocator: both or none; default: the C library's
   BML_NN_NO_TRAINING            no trainer and no losses: a net that only predicts
   BML_NN_NO_FILES               no files, no checkpoints: needs nothing of the system
   BML_NN_DOUBLE                 bml_nn_real is double, for checks of gradients; define it wherever the header is
                                 included
   BML_NN_USE_CBLAS              large matrix products through cblas (OpenBLAS: called with one thread; the threads are
                                 ours)
   Compile with -O3 -march=native: the built-in product and the gates are written for vector registers.

   ---- Mathematics ---------------------------------------------------------------------------------------------------

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
   - padded     with .lengths a row of L steps ends at step L: later ones leave its state as it is, give zeros and get
   no
                gradient; the backward direction begins at step L. The steps [L, T) may hold any finite number.
   - bidirectional: the same cell run from the last step to the first, with its own weights, beside the forward one:
                outputs [forward, backward]; without .sequence the two ends, so that both halves have seen everything.
   - conv       y_t = act(sum_k x_{t S + k} W_k + b), W [K][C][U], stride S; `same` pads with zeros so that T' =
                ceil(T/S).
   - pool       maximum over windows of K steps, stride K unless given, no padding.
   - batch norm y = gamma (x - m)/sqrt(v + eps) + beta over all rows and steps of a batch; at inference with running
                means, new = (1 - momentum) old + momentum batch, unbiased variance (Ioffe & Szegedy 2015,
                arXiv:1502.03167). A last batch of a single row joins the batch before it.
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
   When NOT to use it: images, transformers, millions of rows times millions of weights; there a GPU framework is
   right. */
#ifndef BML_NN_H
#define BML_NN_H
#define BML_NN_VERSION 200 /* 0.2.0: 10000 major + 100 minor + patch */

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

/* ---- API: statuses ---------------------------------------------------------------------------------------------- */

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
enum { BML_NN_STATUS_TABLE(BML_NN__ENUM) BML_NN_STATUS_END = 1 };
#undef BML_NN__ENUM

enum { BML_NN_MESSAGE = 512 }; /* bytes of a buffer for a reason, its 0 included */

/* The message of a status; "unknown status" for other numbers. Static text. */
BML_NN_DEF const char *bml_nn_strerror(int status);

/* ---- API: random numbers -------------------------------------------------------------------------------------------
   Philox4x32-10 (Salmon et al. 2011, SC11, "Parallel random numbers: as easy as 1, 2, 3"), the same text and the same
   numbers in every bml header. (seed, stream) names a sequence; sequences do not overlap: word 0 of the counter counts
   blocks of four numbers, words 1 and 2 are the stream, word 3 starts at 2^32 - 1 and is lowered when word 0 wraps, so
   that small values of it are free for the header's own streams. A generator is plain data: copy it to save it. */

typedef struct bml_nn_rng {
    uint32_t key[2];     /* the seed */
    uint32_t counter[4]; /* of the next block */
    uint32_t block[4];   /* the present one */
    uint32_t used;       /* how many of its four words are spent */
} bml_nn_rng;

/* out[4] = the block of counter[4] under key[2]. */
BML_NN_DEF void bml_nn_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key);
/* The beginning of sequence (seed, stream). */
BML_NN_DEF void bml_nn_rng_init(bml_nn_rng *rng, uint64_t seed, uint64_t stream);
/* The next 32 random bits. */
BML_NN_DEF uint32_t bml_nn_rng_u32(bml_nn_rng *rng);
/* Uniform in (0, 1), never 0 or 1: (k + 1/2)/2^52. */
BML_NN_DEF double bml_nn_rng_uniform(bml_nn_rng *rng);
/* Normal, mean 0, standard deviation 1 (Box & Muller 1958). */
BML_NN_DEF double bml_nn_rng_normal(bml_nn_rng *rng);

/* ---- API: layers ------------------------------------------------------------------------------------------------ */

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
enum { BML_NN_MAX_FROM = 8 };
enum { BML_NN_MAX_NAME = 32 };

typedef struct bml_nn_layer {
    int kind;                          /* BML_NN_INPUT ... */
    const char *name;                  /* unique, letters, digits, _ and -; NULL: kind and number, as "dense_2" */
    const char *from[BML_NN_MAX_FROM]; /* names of the layers it takes; none: the layer before */
    int units;                         /* DENSE, BAYES, GRU, LSTM, RNN: units of one direction; CONV: filters */
    int activation;                    /* DENSE, BAYES, CONV: softmax acts over the features; RNN: 0 = tanh, or RELU */
    int steps;                         /* INPUT, RESHAPE: 0 = a vector of `features`, else a sequence */
    int features;                      /* INPUT, RESHAPE */
    int sequence;                      /* GRU, LSTM, RNN: 1 = give all steps, 0 = the last state */
    int bidirectional;                 /* GRU, LSTM, RNN: 1 = both directions, 2 units outputs */
    int reset_before;                  /* GRU: which variant, see above */
    int kernel;                        /* CONV: steps of the kernel; POOL: of the window, 0 = 2 */
    int stride;                        /* CONV: 0 = 1; POOL: 0 = the window */
    int same;                          /* CONV: 1 = pad with zeros */
    int init;                          /* DENSE, CONV: BML_NN_GLOROT, BML_NN_HE */
    double rate;                       /* DROPOUT: probability to drop, in [0,1) */
    double slope;                      /* BML_NN_LEAKY_RELU: in [0,1), 0 = 0.01 */
    double prior_sd;                   /* BAYES: 0 = 1 */
    double epsilon;                    /* BATCH_NORM, LAYER_NORM: 0 = 1e-5 (Keras' default is 1e-3) */
    double momentum;                   /* BATCH_NORM: share of a new batch, 0 = 0.1 (Keras' 0.99 is 0.01 here) */
    int no_bias;                       /* DENSE, CONV, GRU, LSTM, RNN: 1 = none */
    int two_biases;                    /* LSTM, RNN: 1 = two that add up, which is how PyTorch trains them */
    const char *lengths;               /* GRU, LSTM, RNN: name of an INPUT of one feature, the steps of each row */
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
/* Numbers in a row x, in a row y, and trained numbers (running means of batch norm not among them). */
BML_NN_DEF size_t bml_nn_n_in(const bml_nn *net);
BML_NN_DEF size_t bml_nn_n_out(const bml_nn *net);
BML_NN_DEF size_t bml_nn_n_params(const bml_nn *net);
/* All of them, [n_params], tensor after tensor in the order of the layers: kernel, recurrent, bias, then the reverse
   direction's. */
BML_NN_DEF bml_nn_real *bml_nn_params(bml_nn *net);
/* One tensor, "dense_1.kernel", and its number of values; NULL and 0 if there is none. Lives as long as the net. */
BML_NN_DEF bml_nn_real *bml_nn_tensor(bml_nn *net, const char *name, size_t *count);
/* Layer, output shape, parameters, as text. Returns the characters needed without the 0, as snprintf does. */
BML_NN_DEF size_t bml_nn_summary(char *text, size_t size, const bml_nn *net);

/* ---- API: scaling --------------------------------------------------------------------------------------------------
   What the layers see is (x - shift)/scale; what they give is y = z scale + shift. */

enum { BML_NN_INPUTS = 0, BML_NN_OUTPUTS };
enum {
    BML_NN_STANDARD = 0, /* mean 0, sd 1, column by column */
    BML_NN_MIN_MAX,      /* [0,1], column by column */
    BML_NN_MIN_MAX_ALL   /* [0,1], one range for all columns */
};

/* Sets it: shift and scale > 0, each [n_in or n_out]. BAD_ARGUMENT. */
BML_NN_DEF int bml_nn_set_scaler(bml_nn *net, int which, const bml_nn_real *shift, const bml_nn_real *scale);
/* Learns it from data[n][n_in or n_out]; a column that does not vary keeps scale 1. BAD_ARGUMENT, BAD_DATA,
   NO_MEMORY. */
BML_NN_DEF int bml_nn_fit_scaler(bml_nn *net, int which, int kind, const bml_nn_real *data, size_t n);

/* ---- API: what else travels in the model file ----------------------------------------------------------------------
   A text (UTF-8) under a name (units, parameter list), or an array; a second call with the same name replaces it. Names
   as of layers, up to 63 characters, not beginning with bml_nn. BAD_ARGUMENT, NO_MEMORY. Texts and arrays live until
   replaced or the net is freed; absent: NULL. */

BML_NN_DEF int bml_nn_set_text(bml_nn *net, const char *name, const char *text);
BML_NN_DEF const char *bml_nn_get_text(const bml_nn *net, const char *name);
BML_NN_DEF int bml_nn_set_array(bml_nn *net, const char *name, const bml_nn_real *values, size_t n);
BML_NN_DEF const bml_nn_real *bml_nn_get_array(const bml_nn *net, const char *name, size_t *n);

/* ---- API: inference --------------------------------------------------------------------------------------------- */

typedef struct bml_nn_work bml_nn_work;

/* Memory to run `rows` rows at once on each of `threads` threads (0 = 1). The rows also set the blocks that larger
   calls are cut into: 48 is a good number. BAD_ARGUMENT, TOO_LARGE, NO_MEMORY. */
BML_NN_DEF int bml_nn_work_create(bml_nn_work **work, const bml_nn *net, int rows, int threads, char *why);
BML_NN_DEF void bml_nn_work_free(bml_nn_work *work);
/* y[n][n_out] of x[n][n_in]. work may be NULL, and must not serve two calls at once. A NaN in a row gives NaN in that
   row alone. BAD_ARGUMENT (also: a work of another net), TOO_LARGE, NO_MEMORY. */
BML_NN_DEF int bml_nn_predict(const bml_nn *net, bml_nn_work *work, bml_nn_real *y, const bml_nn_real *x, size_t n);
/* draws[n_draws][n][n_out] with dropout on, independent for each row and draw, and Bayesian weights drawn, one set for
   all rows of a draw. Errors as above; BAD_LAYER when nothing in the net is random. */
BML_NN_DEF int bml_nn_draws(const bml_nn *net, bml_nn_work *work, bml_nn_real *draws, const bml_nn_real *x, size_t n,
                            int n_draws, uint64_t seed);

typedef struct bml_nn_spread {
    bml_nn_real *mean;      /* [n_values], NULL: not wanted */
    bml_nn_real *sd;        /* [n_values], NULL: not wanted */
    bml_nn_real *quantiles; /* [n_levels][n_values] */
    const double *levels;   /* [n_levels] in [0,1] */
    int n_levels;
} bml_nn_spread;

/* Mean, sd and quantiles of draws[n_draws][n_values], n_draws >= 2. BAD_ARGUMENT, NO_MEMORY. */
BML_NN_DEF int bml_nn_summarize_draws(const bml_nn_spread *out, const bml_nn_real *draws, int n_draws, size_t n_values);
/* Vector-Jacobian product: dx[n][n_in] = dy[n][n_out] dY/dX, and y[n][n_out] unless NULL, both in your units. Dropout
   off, Bayesian weights at their mean. Errors as of predict. */
BML_NN_DEF int bml_nn_vjp(const bml_nn *net, bml_nn_work *work, bml_nn_real *dx, bml_nn_real *y, const bml_nn_real *dy,
                          const bml_nn_real *x, size_t n);
/* dx[n][n_in]: gradient of output number `output` (saliency). */
BML_NN_DEF int bml_nn_gradient(const bml_nn *net, bml_nn_work *work, bml_nn_real *dx, int output, const bml_nn_real *x,
                               size_t n);

/* ---- API: training ---------------------------------------------------------------------------------------------- */

#ifndef BML_NN_NO_TRAINING

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
    size_t n_in;
    size_t n_out;
} bml_nn_batch;
typedef double (*bml_nn_loss_fn)(const bml_nn_batch *batch, void *user); /* returns the loss */

typedef struct bml_nn_epoch {
    int epoch;            /* 1, 2, ... */
    int last;             /* the last one planned */
    double loss;          /* of training: mean over its batches, as they came, penalty included */
    double penalty;       /* what L2 and KL are of it: compare loss - penalty with val_loss */
    double val_loss;      /* of validation, no penalty in it; NaN without */
    double accuracy;      /* share of right classes; NaN unless a cross-entropy */
    double val_accuracy;  /* of validation */
    double learning_rate; /* at the end of the epoch */
    double gradient_norm; /* mean over batches, before clipping */
    int batch;            /* its size */
    int best_epoch;       /* and the loss that was best: validation if there is one */
    double best_loss;
} bml_nn_epoch;
typedef int (*bml_nn_epoch_fn)(const bml_nn_epoch *epoch, void *user); /* non-zero stops */

typedef struct bml_nn_batch_step { /* from this epoch (1, ...) batches of this size */
    int epoch;
    int batch;
} bml_nn_batch_step;

typedef struct bml_nn_training {
    const bml_nn_real *x;       /* [n][n_in], not copied */
    const bml_nn_real *y;       /* [n][n_out], not copied; may be NULL with a loss of your own */
    const bml_nn_real *weights; /* [n] >= 0; NULL = all 1 */
    size_t n;
    const bml_nn_real *x_val; /* [n_val][n_in] a validation set, or */
    const bml_nn_real *y_val; /* [n_val][n_out] */
    size_t n_val;
    double validation; /* the share of rows, drawn at random, that is held back for it, in [0, 0.9]; 0 = none */
    int loss;
    const double *class_weights; /* [n_out] (binary with one output: [2], class 0 and 1) >= 0; NULL = all 1 */
    bml_nn_loss_fn loss_fn;      /* BML_NN_CUSTOM */
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

typedef struct bml_nn_trainer bml_nn_trainer;

/* The same in pieces. The trainer changes the net, which must outlive it; messages of later calls stand in the net. */
BML_NN_DEF int bml_nn_trainer_create(bml_nn_trainer **trainer, bml_nn *net, const bml_nn_training *training, char *why);
BML_NN_DEF void bml_nn_trainer_free(bml_nn_trainer *trainer);
/* Up to `epochs` more (0 = all that are left). The best weights are put into the net when training has ended. */
BML_NN_DEF int bml_nn_trainer_run(bml_nn_trainer *trainer, int epochs);
BML_NN_DEF int bml_nn_trainer_done(const bml_nn_trainer *trainer);
/* The last epoch's report: epoch 0 and NaN before the first, and of NULL. */
BML_NN_DEF bml_nn_epoch bml_nn_trainer_last(const bml_nn_trainer *trainer);

#endif /* BML_NN_NO_TRAINING */

/* ---- API: data and metrics -------------------------------------------------------------------------------------- */

/* set[n] = 0 ... n_sets-1 at random, shares[n_sets] > 0 of the rows each (NULL: equal, as for k folds); with labels[n]
   the shares hold within each label, as nearly as counts allow. BAD_ARGUMENT (also fewer rows than sets), NO_MEMORY. */
BML_NN_DEF int bml_nn_split(int *set, const double *shares, int n_sets, const int *labels, size_t n, uint64_t seed);

typedef struct bml_nn_metrics {
    double r2;
    double mse;
    double msle;
    double mae;
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

/* ---- API: files ------------------------------------------------------------------------------------------------- */

#ifndef BML_NN_NO_FILES

enum {
    BML_NN_F32 = 0,
    BML_NN_F16,
    BML_NN_BF16,
    BML_NN_F64
}; /* how tensors are stored; scalers and arrays: F32 or F64 */

/* bytes[size] of a file, as bml_nn_save writes it; *bytes is yours, free it with bml_nn_free_bytes. BAD_ARGUMENT,
   BAD_DATA (a weight that is not finite, or too large for F16), NO_MEMORY. */
BML_NN_DEF int bml_nn_encode(bml_nn *net, unsigned char **bytes, size_t *size, int storage);
BML_NN_DEF void bml_nn_free_bytes(unsigned char *bytes);
/* The net of such bytes. BAD_FILE, MISMATCH, BAD_LAYER, NO_MEMORY. */
BML_NN_DEF int bml_nn_decode(bml_nn **net, const unsigned char *bytes, size_t size, char *why);
/* Whole net to a safetensors file: architecture (metadata "bml_nn.layers", gate order and GRU variant included),
   tensors "layer.kernel" [C][U] ([K][C][U] for conv), "layer.recurrent" [U][gates U], "layer.bias", scalers, texts and
   arrays; little endian on any machine. Written under a temporary name, PATH.part-N, then renamed; writers to one path
   do not meet (on POSIX systems), and what a killed one leaves the next one replaces. CANNOT_OPEN, CANNOT_WRITE and the
   errors of encode. */
BML_NN_DEF int bml_nn_save(bml_nn *net, const char *path, int storage);
/* The same net again. CANNOT_OPEN, BAD_FILE, MISMATCH, BAD_LAYER, NO_MEMORY. */
BML_NN_DEF int bml_nn_load(bml_nn **net, const char *path, char *why);

/* Weights alone, into a net of the right shape, from another program's safetensors file.
   BML_NN_KERAS   this file's own order: kernel [C][gates U], gates z r n and i f g o, GRU bias [2][3U] (reset_after) or
                  [3U]. A norm's epsilon must be known: from the layer, or from the file's metadata.
   BML_NN_PYTORCH state_dict of nn.Linear, nn.GRU, nn.LSTM, nn.RNN (perhaps bidirectional), nn.Conv1d, nn.BatchNorm1d,
                  nn.LayerNorm: "name.weight_ih_l0" [3U][C], gates r z n and i f g o, bias_ih and bias_hh, which are
                  added up where the layer has no .two_biases
   Every tensor must be there, and none be left over (BatchNorm's num_batches_tracked may). Metadata "name.epsilon" and
   "name.momentum" (decimal numbers; momentum as in bml_nn_layer) become the layer's. The net is unchanged after an
   error. CANNOT_OPEN, BAD_FILE, MISMATCH, BAD_ARGUMENT, NO_MEMORY. */
enum { BML_NN_KERAS = 0, BML_NN_PYTORCH };
BML_NN_DEF int bml_nn_load_weights(bml_nn *net, const char *path, int convention);

typedef struct bml_nn_alias { /* a layer that has another name in the file */
    const char *layer;        /* here */
    const char *module;       /* there, after the prefix: "rnn"; may hold dots */
    int level;                /* PYTORCH, recurrent: which of num_layers, from 0 */
} bml_nn_alias;

typedef struct bml_nn_import {
    int convention;
    const char *prefix;          /* of all names, "encoder."; tensors without it are passed over. NULL: none */
    const bml_nn_alias *aliases; /* [n_aliases] */
    int n_aliases;
} bml_nn_import;

/* The same under other names: each level of num_layers=2 is a layer here. */
BML_NN_DEF int bml_nn_import_weights(bml_nn *net, const char *path, const bml_nn_import *how);

#ifndef BML_NN_NO_TRAINING
/* Between runs: a checkpoint from which a trainer made with the same net, data and settings goes on to the same bits.
   CANNOT_OPEN, CANNOT_WRITE, BAD_FILE, MISMATCH, NO_MEMORY; the trainer is unchanged after an error. */
BML_NN_DEF int bml_nn_trainer_save(bml_nn_trainer *trainer, const char *path);
BML_NN_DEF int bml_nn_trainer_load(bml_nn_trainer *trainer, const char *path);
#endif

#endif /* BML_NN_NO_FILES */

#endif /* BML_NN_H */
/* ---- API: calls without a reason -----------------------------------------------------------------------------------
   The last argument, why, may be left out: bml_nn_create(a, b) is a call of version 0.1, and means NULL. */
#define BML_NN_WHY_OPTIONAL_2(function, a, b, why, ...) function(a, b, why)
#define BML_NN_WHY_OPTIONAL_3(function, a, b, c, why, ...) function(a, b, c, why)
#define BML_NN_WHY_OPTIONAL_4(function, a, b, c, d, why, ...) function(a, b, c, d, why)
#define bml_nn_create(...) BML_NN_WHY_OPTIONAL_2(bml_nn_create, __VA_ARGS__, NULL, 0)
#define bml_nn_work_create(...) BML_NN_WHY_OPTIONAL_4(bml_nn_work_create, __VA_ARGS__, NULL, 0)
#define bml_nn_trainer_create(...) BML_NN_WHY_OPTIONAL_3(bml_nn_trainer_create, __VA_ARGS__, NULL, 0)
#define bml_nn_decode(...) BML_NN_WHY_OPTIONAL_3(bml_nn_decode, __VA_ARGS__, NULL, 0)
#define bml_nn_load(...) BML_NN_WHY_OPTIONAL_2(bml_nn_load, __VA_ARGS__, NULL, 0)

/* ---- end of API ---- */

#if defined(BML_NN_IMPLEMENTATION) && !defined(BML_NN_IMPLEMENTED)
#define BML_NN_IMPLEMENTED

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "bml_nn.h: compile the file with BML_NN_IMPLEMENTATION without -ffast-math, -Ofast (or add -fno-fast-math)"
#endif

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h> /* vsnprintf into message buffers, and model files; nothing is printed */
#include <stdlib.h>
#include <string.h>

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "bml_nn.h: FLT_EVAL_METHOD must be 0: float computed as float (i386: -msse2 -mfpmath=sse; s390x: -std=gnu99)"
#elif !defined(FLT_EVAL_METHOD) && (defined(__GNUC__) || defined(__clang__))
#error "bml_nn.h: FLT_EVAL_METHOD is not known: compile as C99 or later (in C++: C++11)"
#endif

#if (defined(__unix__) || defined(__unix) || defined(__APPLE__)) && !defined(BML_NN_NO_FILES)
#define BML_NN__POSIX
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef BML_NN_USE_CBLAS
#include <cblas.h>
#endif

#if !defined(BML_NN_MALLOC) && !defined(BML_NN_FREE)
#define BML_NN_MALLOC(n) malloc(n)
#define BML_NN_FREE(p) free(p)
#elif !defined(BML_NN_MALLOC) || !defined(BML_NN_FREE)
#error "bml_nn.h: define BML_NN_MALLOC and BML_NN_FREE, or neither"
#endif

#define BML_NN__NAN ((double)NAN) /* the C library's is float: said aloud for -Wdouble-promotion */
#define BML_NN__R(x) ((bml_nn_real)(x))
#if defined(__GNUC__) || defined(__clang__)
#define BML_NN__RESTRICT __restrict__
#define BML_NN__INLINE inline __attribute__((always_inline))
#define BML_NN__PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define BML_NN__RESTRICT
#define BML_NN__INLINE inline
#define BML_NN__PRINTF(f, a)
#endif
#if defined(__clang__)
#define BML_NN__UNROLL _Pragma("clang loop unroll(full)")
#define BML_NN__INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define BML_NN__UNROLL
#define BML_NN__INDEPENDENT _Pragma("GCC ivdep") /* what the loop writes it does not read elsewhere */
#else
#define BML_NN__UNROLL
#define BML_NN__INDEPENDENT
#endif

/* Contents: search for ">> name".
   >> status and memory      statuses, messages, checked sizes, the allocator
   >> structures             tensors, layers as planned, the net
   >> random numbers         Philox4x32-10, streams, shuffling
   >> elementary functions   exp, tanh, log1p and the logistic function for vector registers
   >> matrix product         C = A B in blocks of registers
   >> activations            f, f', softmax
   >> passes                 the memory of some rows on their way through the layers and back
   >> dense layers
   >> Bayesian layers        Flipout
   >> recurrent layers       GRU, LSTM, RNN
   >> convolution and pooling
   >> normalisation
   >> dropout
   >> shapes                 flatten, reshape, concat, add
   >> planning               shapes, tensors and memory of each layer
   >> making a net           first weights, create, free, summary
   >> scaling, texts and arrays
   >> running rows           predict, draws, derivatives
   >> losses
   >> training               settings, epochs, optimisers, schedules
   >> splits and metrics
   >> writing files          safetensors
   >> reading files
   >> model files            save, load, weights of other programs
   >> checkpoints            of training */

/* >> status and memory
   A status travels with its text through `fail`. Sizes are ptrdiff_t inside, and products of sizes that come from
   outside are checked. An object lies in one block: its parts are laid out twice by `take`, first without a base, which
   counts the bytes, then with the block. */

BML_NN_DEF const char *bml_nn_strerror(int status) {
#define BML_NN__CASE(name, value, text) \
    if (status == value) return text;
    BML_NN_STATUS_TABLE(BML_NN__CASE)
#undef BML_NN__CASE
    return "unknown status";
}

static int bml_nn__is_digit(int c) {
    return c >= '0' && c <= '9';
}

/* A locale's decimal comma between digits becomes a point. */
static void bml_nn__mend_commas(char *text) {
    for (char *p = strchr(text, ','); p; p = strchr(p + 1, ',')) {
        if (p > text && bml_nn__is_digit(p[-1]) && bml_nn__is_digit(p[1])) {
            *p = '.';
        }
    }
}

/* Writes the message and hands the status through: return bml_nn__fail(...). */
BML_NN__PRINTF(3, 4) static int bml_nn__fail(char *message, int status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(message, BML_NN_MESSAGE, format, args);
    va_end(args);
    bml_nn__mend_commas(message);
    return status;
}

/* Ends a call that makes an object: why (if wanted) gets the message, or the text of the status if there is none. */
static int bml_nn__reason(char *why, int status, const char *message) {
    if (!why) {
        return status;
    }
    const char *text = message && *message ? message : bml_nn_strerror(status);
    snprintf(why, BML_NN_MESSAGE, "%s", status ? text : "");
    return status;
}

#define BML_NN__MOST PTRDIFF_MAX

/* *product = a b, or 0 if that overflows. */
static int bml_nn__mul(ptrdiff_t *product, ptrdiff_t a, ptrdiff_t b) {
    if (a < 0 || b < 0 || (b && a > BML_NN__MOST / b)) {
        return 0;
    }
    *product = a * b;
    return 1;
}

/* *sum += a b, or 0 if that overflows. */
static int bml_nn__add_mul(ptrdiff_t *sum, ptrdiff_t a, ptrdiff_t b) {
    ptrdiff_t p;
    if (!bml_nn__mul(&p, a, b) || p > BML_NN__MOST - *sum) {
        return 0;
    }
    *sum += p;
    return 1;
}

/* Bytes of n things of that size. */
static size_t bml_nn__bytes(ptrdiff_t n, size_t size) {
    return (size_t)n * size;
}

static void bml_nn__copy(bml_nn_real *to, const bml_nn_real *from, ptrdiff_t n) {
    memcpy(to, from, bml_nn__bytes(n, sizeof *to));
}

static void bml_nn__clear(bml_nn_real *to, ptrdiff_t n) {
    memset(to, 0, bml_nn__bytes(n, sizeof *to));
}

/* n zeroed things of `size` bytes; NULL on overflow or without memory. */
static void *bml_nn__alloc(ptrdiff_t n, size_t size) {
    ptrdiff_t bytes;
    if (!bml_nn__mul(&bytes, n, (ptrdiff_t)size)) {
        return NULL;
    }
    void *p = BML_NN_MALLOC((size_t)(bytes ? bytes : 1));
    if (p) {
        memset(p, 0, (size_t)bytes);
    }
    return p;
}

static bml_nn_real *bml_nn__alloc_reals(ptrdiff_t n) {
    return (bml_nn_real *)bml_nn__alloc(n, sizeof(bml_nn_real));
}

typedef struct bml_nn__arena { /* a block whose parts are given out one after another */
    char *base;                /* NULL: only count */
    ptrdiff_t used;            /* bytes; -1: they overflow */
} bml_nn__arena;

/* The next n things of `size` bytes, at a cache line's 64 bytes; NULL while counting. Only the first begins where the
   block does, which may be between two lines: it is what is freed. */
static void *bml_nn__take(bml_nn__arena *a, ptrdiff_t n, size_t size) {
    ptrdiff_t at = a->used;
    ptrdiff_t lines;
    ptrdiff_t bytes;
    if (at < 0) {
        return NULL;
    }
    int fits = bml_nn__mul(&bytes, n, (ptrdiff_t)size) && bytes <= BML_NN__MOST - 64;
    lines = fits ? (bytes + 63) / 64 : 0;
    if (!fits || !bml_nn__add_mul(&a->used, lines, 64)) {
        a->used = -1;
        return NULL;
    }
    if (!a->base) {
        return NULL;
    }
    const ptrdiff_t past = (ptrdiff_t)((uintptr_t)a->base % 64);
    return a->base + at + (at && past ? 64 - past : 0);
}

static bml_nn_real *bml_nn__take_reals(bml_nn__arena *a, ptrdiff_t n) {
    return (bml_nn_real *)bml_nn__take(a, n, sizeof(bml_nn_real));
}

/* Between counting and giving out: makes the block. */
static int bml_nn__make_block(bml_nn__arena *a) {
    if (a->used < 0 || a->used > BML_NN__MOST - 64) {
        return BML_NN_TOO_LARGE;
    }
    a->base = (char *)bml_nn__alloc(a->used + 64, 1); /* 64: for the way to the first line */
    a->used = 0;
    return a->base ? BML_NN_OK : BML_NN_NO_MEMORY;
}

/* >> structures */

enum { BML_NN__MAX_LAYERS = 1000 };
enum { BML_NN__MAX_TENSORS = 6 }; /* of a layer */
enum { BML_NN__MAX_RANK = 3 };
enum { BML_NN__MAX_KEY = 64 };

enum { /* first values of tensors; the last two are not trained */
       BML_NN__ZERO,
       BML_NN__ONE,
       BML_NN__KERNEL,
       BML_NN__ORTHOGONAL,
       BML_NN__FORGET,
       BML_NN__RHO,
       BML_NN__MEAN,
       BML_NN__VARIANCE
};

typedef struct bml_nn__tensor {
    int node;
    int rank;
    int start;        /* BML_NN__ZERO ... */
    int running;      /* 1: a running mean of batch norm, not trained */
    const char *what; /* "kernel", "bias", ... */
    ptrdiff_t shape[BML_NN__MAX_RANK];
    ptrdiff_t count;
    ptrdiff_t offset; /* in net->params, or in net->running */
    double fan_in;
    double fan_out;
} bml_nn__tensor;

/* A layer as planned. Sequences are stored step by step, [steps][rows][features], so that every step, and every run of
   steps, is one matrix; `in` and `out` are features, a vector has one step. */
typedef struct bml_nn__node {
    bml_nn_layer spec;
    char name[BML_NN_MAX_NAME];
    int from[BML_NN_MAX_FROM];
    int n_from;
    int lengths;                /* recurrent: the input that holds the steps of each row, -1: none */
    int holds_lengths;          /* INPUT: 1: of some layer; not scaled */
    int epsilon_given;          /* norms: not the default */
    int fresh[BML_NN_MAX_FROM]; /* 1: this layer is the first to write the gradient of its source in a backward pass */
    int in_steps;
    int in;
    int steps;
    int out;
    int is_sequence;
    int tensor; /* its tensors: first and number */
    int n_tensors;
    ptrdiff_t input_offset; /* INPUT: where in the row */
    ptrdiff_t cache;        /* reals that forward leaves for backward: per row, and once */
    ptrdiff_t cache_fixed;
    ptrdiff_t dcache; /* reals that backward alone needs, per row */
    ptrdiff_t scratch;
    ptrdiff_t scratch_fixed;
} bml_nn__node;

typedef struct bml_nn__extra { /* a text or an array that travels with the net; its block holds the value too */
    char name[BML_NN__MAX_KEY];
    char *text;
    bml_nn_real *values;
    ptrdiff_t n;
    struct bml_nn__extra *next;
} bml_nn__extra;

struct bml_nn {
    bml_nn__node *nodes; /* [n_nodes] */
    int n_nodes;
    bml_nn__tensor *tensors; /* [n_tensors] */
    int n_tensors;
    bml_nn_real *params; /* [n_params] */
    ptrdiff_t n_params;
    bml_nn_real *running; /* [n_running] means and variances of batch norm */
    ptrdiff_t n_running;
    ptrdiff_t n_in;
    ptrdiff_t n_out;
    int padded;            /* 1: some layer has lengths */
    bml_nn_real *shift[2]; /* of inputs [n_in] and outputs [n_out]; NULL = none */
    bml_nn_real *scale[2];
    bml_nn_real *scaler_room[2]; /* shift, then scale, of each */
    bml_nn__extra *extras;
    char message[BML_NN_MESSAGE];
};

/* >> random numbers
   Philox4x32-10; the numbers of (seed, stream, counter) are those of every bml header. */

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

/* The sequence whose counter begins with block 0 and has words 1, 2 and 3 as given. */
static bml_nn_rng bml_nn__stream(uint64_t seed, uint32_t word1, uint32_t word2, uint32_t word3) {
    bml_nn_rng rng = {{(uint32_t)seed, (uint32_t)(seed >> 32)}, {0, word1, word2, word3}, {0, 0, 0, 0}, 4};
    return rng;
}

BML_NN_DEF void bml_nn_rng_init(bml_nn_rng *rng, uint64_t seed, uint64_t stream) {
    *rng = bml_nn__stream(seed, (uint32_t)stream, (uint32_t)(stream >> 32), 0xFFFFFFFFu);
}

BML_NN_DEF uint32_t bml_nn_rng_u32(bml_nn_rng *rng) {
    if (rng->used >= 4) {
        bml_nn_philox(rng->block, rng->counter, rng->key);
        rng->counter[0]++;
        if (rng->counter[0] == 0) {
            rng->counter[3]--;
        }
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

BML_NN_DEF double bml_nn_rng_uniform(bml_nn_rng *rng) {
    uint64_t high = bml_nn_rng_u32(rng);
    uint64_t low = bml_nn_rng_u32(rng);
    uint64_t bits = (high << 32 | low) >> 12;
    return ((double)bits + 0.5) * (1.0 / 4503599627370496.0); /* 2^-52: + 0.5 stays exact */
}

BML_NN_DEF double bml_nn_rng_normal(bml_nn_rng *rng) {
    double radius = sqrt(-2 * log(bml_nn_rng_uniform(rng)));
    return radius * cos(6.283185307179586 * bml_nn_rng_uniform(rng));
}
/* << random numbers */

/* What word 3 of the counter means in this header ("stream words"):
     0, 1, ...     number of a batch or draw: noise of layers. Words 1 and 2 are row and layer (dropout, signs), or all
                   ones and layer (Bayesian weights)
     0xFFFFFFFF    generators that rng_init begins: first weights, by tensor; the order of rows, by epoch; splits; and
                   yours */

/* 0..n-1; the bias, n/2^32 for small n, is far below what shuffling can show. */
static ptrdiff_t bml_nn__below(bml_nn_rng *rng, ptrdiff_t n) {
    uint64_t high = bml_nn_rng_u32(rng);
    uint64_t count = (uint64_t)n;
    if (count <= 0xFFFFFFFFu) {
        return (ptrdiff_t)((high * count) >> 32);
    }
    uint64_t low = bml_nn_rng_u32(rng);
    return (ptrdiff_t)((high << 32 | low) % count);
}

/* order[n] = 0 ... n-1, shuffled (Fisher & Yates). */
static void bml_nn__shuffle(ptrdiff_t *order, ptrdiff_t n, uint64_t seed, uint64_t stream) {
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, seed, stream);
    for (ptrdiff_t i = 0; i < n; i++) {
        order[i] = i;
    }
    for (ptrdiff_t i = n; i > 1; i--) {
        ptrdiff_t j = bml_nn__below(&rng, i);
        ptrdiff_t t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
}

/* From here to the end of the layers a product and a sum may be one fused operation, as gcc does by itself unless a
   strict -std= is asked for, and as clang does: it is twice as fast and rounds once less. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=fast")
#endif

/* >> elementary functions
   For vector registers, in float: no branches, no calls. In double they are the C library's. */

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
   3 2^22, whose last bit is one; ln 2 in two parts, the first of 9 bits, so that n times it is exact. Held at the ends
   of the range of normal floats, e^-87 = 1.6e-38 and e^88 = 1.7e38. */
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

/* log(1+t), 0 <= t <= 1: 2 atanh(s) = 2 (s + s^3/3 + ...), s = t/(2+t) <= 1/3; the first term left out is 4e-10 of
   it. */
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

/* x/(1+e^-x), written so that the compiler does not fold it to one quotient by 1 + e^-x: what gcc 12 makes of that
   takes eight times as long on AVX-512. And its derivative. */
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

/* >> matrix product
   C = A B or C += A B in blocks of registers: `rows` rows by two vectors of C stay in registers while one column of A
   and one row of B pass by (Goto & van de Geijn 2008, ACM TOMS 34, 12). B is walked in panels of two vectors' width,
   straight from memory when its rows are contiguous, else through a small packed copy; where that of A costs less, C^T
   is computed as B^T A^T. Fewer rows than fill the registers take more columns of B at once instead. Every element of C
   is summed in the same order whatever the sizes are, but for fewer than four rows against columns that are
   contiguous. */

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
#define BML_NN__SUMS 24 /* of 32 registers for C */
#else
#define BML_NN__SUMS 12 /* of 16 */
#endif
#define BML_NN__ROWS (BML_NN__SUMS / 2)
#define BML_NN__LANES ((int)(BML_NN__VECTOR / sizeof(bml_nn_real))) /* numbers in a vector */
#define BML_NN__PANEL (2 * BML_NN__LANES)
#define BML_NN__DEPTH 256

#if defined(__GNUC__) || defined(__clang__)
#define BML_NN__FETCH(address) __builtin_prefetch((const void *)(address))
#else
#define BML_NN__FETCH(address) (void)(address)
#endif
#define BML_NN__AT(p) (*(bml_nn__loose *)(p)) /* a vector at any address */
#define BML_NN__CONST_AT(p) (*(const bml_nn__loose *)(p))

/* Words for turning squares of four by four in registers, where the compiler has one for a change of lanes. */
#if defined(__has_builtin) && (defined(__GNUC__) || defined(__clang__))
#if __has_builtin(__builtin_shufflevector)
typedef bml_nn_real bml_nn__four __attribute__((vector_size(4 * sizeof(bml_nn_real))));
typedef bml_nn_real bml_nn__loose_four
    __attribute__((vector_size(4 * sizeof(bml_nn_real)), aligned(sizeof(bml_nn_real)), may_alias));
#define BML_NN__FOUR(p) ((bml_nn__four)(*(const bml_nn__loose_four *)(p)))
#define BML_NN__EIGHT(p, step) \
    __builtin_shufflevector(BML_NN__FOUR(p), BML_NN__FOUR((p) + (step)), 0, 1, 2, 3, 4, 5, 6, 7)
/* Which lanes of two vectors each four lanes from q on take. */
#define BML_NN__LOW(q) q, BML_NN__LANES + q, q + 1, BML_NN__LANES + q + 1
#define BML_NN__HIGH(q) q + 2, BML_NN__LANES + q + 2, q + 3, BML_NN__LANES + q + 3
#define BML_NN__FIRST(q) q, q + 1, BML_NN__LANES + q, BML_NN__LANES + q + 1
#define BML_NN__LAST(q) q + 2, q + 3, BML_NN__LANES + q + 2, BML_NN__LANES + q + 3
#ifdef BML_NN_DOUBLE
#define BML_NN__FOURS (BML_NN__VECTOR / 32)
#else
#define BML_NN__FOURS (BML_NN__VECTOR / 16)
#endif
#if BML_NN__FOURS == 1
#define BML_NN__TURN(a, b, lanes) __builtin_shufflevector(a, b, lanes(0))
#elif BML_NN__FOURS == 2
#define BML_NN__TURN(a, b, lanes) __builtin_shufflevector(a, b, lanes(0), lanes(4))
#elif BML_NN__FOURS == 4
#define BML_NN__TURN(a, b, lanes) __builtin_shufflevector(a, b, lanes(0), lanes(4), lanes(8), lanes(12))
#endif

/* As many fours as a vector holds, `step` apart. */
static BML_NN__INLINE bml_nn__vec bml_nn__fours(const bml_nn_real *p, ptrdiff_t step) {
#if BML_NN__FOURS == 1
    (void)step;
    return BML_NN__FOUR(p);
#elif BML_NN__FOURS == 2
    return BML_NN__EIGHT(p, step);
#elif defined(__SIZEOF_INT128__) && !defined(__clang__) /* gcc fills a vector from memory only in this form */
    __extension__ typedef __int128 four;
    typedef four vector __attribute__((vector_size(BML_NN__VECTOR)));
    vector all = {(four)BML_NN__FOUR(p), (four)BML_NN__FOUR(p + step), (four)BML_NN__FOUR(p + 2 * step),
                  (four)BML_NN__FOUR(p + 3 * step)};
    return (bml_nn__vec)all;
#else
    return __builtin_shufflevector(BML_NN__EIGHT(p, step), BML_NN__EIGHT(p + 2 * step, step), 0, 1, 2, 3, 4, 5, 6, 7, 8,
                                   9, 10, 11, 12, 13, 14, 15);
#endif
}
#endif
#endif

typedef struct bml_nn__mat { /* element (i, j) is p[i rs + j cs] */
    const bml_nn_real *p;
    ptrdiff_t rs;
    ptrdiff_t cs;
} bml_nn__mat;

typedef struct bml_nn__target { /* rows of C, `width` reals each; add = 1: the product is added to them */
    bml_nn_real *p;
    ptrdiff_t width;
    int add;
} bml_nn__target;

/* As stored, `width` reals a row. */
static bml_nn__mat bml_nn__rows(const bml_nn_real *p, ptrdiff_t width) {
    bml_nn__mat m;
    m.p = p;
    m.rs = width;
    m.cs = 1;
    return m;
}

/* The transpose of that. */
static bml_nn__mat bml_nn__cols(const bml_nn_real *p, ptrdiff_t width) {
    bml_nn__mat m;
    m.p = p;
    m.rs = 1;
    m.cs = width;
    return m;
}

/* The part that begins at row i, column j. */
static bml_nn__mat bml_nn__from(bml_nn__mat m, ptrdiff_t i, ptrdiff_t j) {
    m.p += i * m.rs + j * m.cs;
    return m;
}

static bml_nn__target bml_nn__to(bml_nn__target c, ptrdiff_t i, ptrdiff_t j) {
    c.p += i * c.width + j;
    return c;
}

/* c[rows][vectors] (+)= a[rows][depth] b[depth][vectors], B fetched `ahead` rows ahead unless that is 0; rows and
   vectors are constants where it is called. */
static BML_NN__INLINE void bml_nn__tile(int rows, int vectors, bml_nn__target c, bml_nn__mat a, bml_nn__mat b,
                                        ptrdiff_t depth, int ahead) {
    bml_nn__vec sum[24];
    bml_nn__vec zero = {0};
    BML_NN__UNROLL for (int i = 0; i < rows; i++) {
        BML_NN__UNROLL for (int j = 0; j < vectors; j++) {
            bml_nn__vec *s = &sum[i * vectors + j];
            if (c.add) {
                *s = BML_NN__CONST_AT(c.p + i * c.width + j * BML_NN__LANES);
            } else {
                *s = zero;
            }
        }
    }
    for (ptrdiff_t k = 0; k < depth; k++) {
        BML_NN__UNROLL for (int j = 0; ahead && j < vectors; j++) {
            BML_NN__FETCH((uintptr_t)b.p + bml_nn__bytes(ahead * b.rs + j * BML_NN__LANES, sizeof *b.p));
        }
        BML_NN__UNROLL for (int i = 0; i < rows; i++) {
            bml_nn_real x = a.p[i * a.rs];
            BML_NN__UNROLL for (int j = 0; j < vectors; j++) {
                sum[i * vectors + j] += x * BML_NN__CONST_AT(b.p + j * BML_NN__LANES);
            }
        }
        b.p += b.rs;
        a.p += a.cs;
    }
    BML_NN__UNROLL for (int i = 0; i < rows; i++) {
        BML_NN__UNROLL for (int j = 0; j < vectors; j++) {
            BML_NN__AT(c.p + i * c.width + j * BML_NN__LANES) = sum[i * vectors + j];
        }
    }
}

/* All m rows of a panel, `rows` at a time; rows and vectors are constants where it is called. */
static BML_NN__INLINE void bml_nn__all_rows(int rows, int vectors, bml_nn__target c, bml_nn__mat a, bml_nn__mat b,
                                            ptrdiff_t m, ptrdiff_t depth) {
    ptrdiff_t i = 0;
    for (; i + rows <= m; i += rows) {
        bml_nn__tile(rows, vectors, bml_nn__to(c, i, 0), bml_nn__from(a, i, 0), b, depth, 0);
    }
    for (; i + 4 <= m; i += 4) {
        bml_nn__tile(4, vectors, bml_nn__to(c, i, 0), bml_nn__from(a, i, 0), b, depth, 0);
    }
    for (; i < m; i++) {
        bml_nn__tile(1, vectors, bml_nn__to(c, i, 0), bml_nn__from(a, i, 0), b, depth, 0);
    }
}

/* Functions of their own: together in one they are up to a quarter slower, for want of registers for addresses. */
static void bml_nn__one_vector(bml_nn__target c, bml_nn__mat a, bml_nn__mat b, ptrdiff_t m, ptrdiff_t depth) {
    bml_nn__all_rows(12, 1, c, a, b, m, depth); /* as many sums hide the time that one takes */
}

static void bml_nn__two_vectors(bml_nn__target c, bml_nn__mat a, bml_nn__mat b, ptrdiff_t m, ptrdiff_t depth) {
    bml_nn__all_rows(BML_NN__ROWS, 2, c, a, b, m, depth);
}

static void bml_nn__three_vectors(bml_nn__target c, bml_nn__mat a, bml_nn__mat b, ptrdiff_t m, ptrdiff_t depth) {
    bml_nn__all_rows(BML_NN__ROWS * 2 / 3, 3, c, a, b, m, depth);
}

/* All m rows of a panel of one to three vectors. */
static void bml_nn__panel(bml_nn__target c, bml_nn__mat a, bml_nn__mat b, ptrdiff_t m, ptrdiff_t vectors,
                          ptrdiff_t depth) {
    switch (vectors) {
    case 1: bml_nn__one_vector(c, a, b, m, depth); break;
    case 2: bml_nn__two_vectors(c, a, b, m, depth); break;
    default: bml_nn__three_vectors(c, a, b, m, depth); break;
    }
}

typedef struct bml_nn__span { /* what a product of a few rows goes through */
    ptrdiff_t n;              /* columns */
    ptrdiff_t depth;
    int ahead; /* fetch B so many rows ahead */
} bml_nn__span;

/* Columns j ... n-1 of a few rows of C, n at least so many vectors, which are done at once. Up to `spare` columns are
   left; of more the last are done by vectors that overlap those before. Says where it stopped. rows, vectors and spare
   are constants where it is called. */
static BML_NN__INLINE ptrdiff_t bml_nn__columns(int rows, int vectors, bml_nn__target c, bml_nn__mat a, bml_nn__mat b,
                                                bml_nn__span s, ptrdiff_t j, ptrdiff_t spare) {
    const ptrdiff_t width = vectors * BML_NN__LANES;
    const ptrdiff_t n = s.n;
    bml_nn_real last[BML_NN__SUMS * BML_NN__LANES];
    const bml_nn__target copy = {last, width, c.add};
    for (; j + width <= n; j += width) {
        bml_nn__tile(rows, vectors, bml_nn__to(c, 0, j), a, bml_nn__from(b, 0, j), s.depth, s.ahead);
    }
    const ptrdiff_t left = n - j;
    if (left <= spare) {
        return j;
    }
    for (ptrdiff_t i = 0; c.add && i < rows; i++) {
        bml_nn__copy(last + i * width, c.p + i * c.width + n - width, width);
    }
    bml_nn__tile(rows, vectors, copy, a, bml_nn__from(b, 0, n - width), s.depth, s.ahead);
    for (ptrdiff_t i = 0; i < rows; i++) {
        bml_nn__copy(c.p + i * c.width + j, last + (i + 1) * width - left, left);
    }
    return n;
}

/* Two, four or six rows of A against at least a vector of columns: as many of them as there are registers. */
static BML_NN__INLINE void bml_nn__some_rows(int rows, bml_nn__target c, bml_nn__mat a, bml_nn__mat b, bml_nn__span s) {
    const int vectors = BML_NN__SUMS / (rows > 2 ? rows : 3);
    ptrdiff_t j = 0;
    if (s.n >= vectors * BML_NN__LANES) {
        j = bml_nn__columns(rows, vectors, c, a, b, s, 0, BML_NN__LANES);
    }
    bml_nn__columns(rows, 1, c, a, b, s, j, 0);
}

/* Functions of their own, as above. */
static void bml_nn__six_rows(bml_nn__target c, bml_nn__mat a, bml_nn__mat b, bml_nn__span s) {
    bml_nn__some_rows(6, c, a, b, s);
}

static void bml_nn__four_rows(bml_nn__target c, bml_nn__mat a, bml_nn__mat b, bml_nn__span s) {
    bml_nn__some_rows(4, c, a, b, s);
}

static void bml_nn__pair_of_rows(bml_nn__target c, bml_nn__mat a, bml_nn__mat b, bml_nn__span s) {
    bml_nn__some_rows(2, c, a, b, s);
}

/* Whether B does not fit into the innermost cache. It is then fetched ahead: the rows of a panel lie too far apart for
   the processor to guess. */
static int bml_nn__is_far(ptrdiff_t n, ptrdiff_t depth) {
    return depth * n > (ptrdiff_t)(32768 / sizeof(bml_nn_real));
}

enum { BML_NN__AHEAD = 8 }; /* rows */

/* Then more columns at once too, so that its rows are read in long pieces. Says where it stopped. */
enum { BML_NN__LONG = BML_NN__SUMS * 2 / 3 };
static ptrdiff_t bml_nn__long_row(bml_nn__target c, bml_nn__mat a, bml_nn__mat b, ptrdiff_t n, ptrdiff_t depth) {
    const bml_nn__span s = {n, depth, BML_NN__AHEAD};
    return bml_nn__columns(1, BML_NN__LONG, c, a, b, s, 0, 8 * BML_NN__LANES - 1);
}

/* One row of A, for a batch of one: as many sums as hide the time that one takes, where there are columns for them. */
static void bml_nn__one_row(bml_nn__target c, bml_nn__mat a, bml_nn__mat b, ptrdiff_t n, ptrdiff_t depth) {
    const bml_nn__span s = {n, depth, 0};
    ptrdiff_t j = 0;
    if (n >= BML_NN__LONG * BML_NN__LANES && bml_nn__is_far(n, depth)) {
        j = bml_nn__long_row(c, a, b, n, depth);
    }
    if (n - j >= 8 * BML_NN__LANES) {
        bml_nn__columns(1, 8, c, a, b, s, j, 0);
    } else if (n >= 3 * BML_NN__LANES) {
        bml_nn__columns(1, 3, c, a, b, s, j, 0);
    } else {
        bml_nn__columns(1, 1, c, a, b, s, j, 0);
    }
}

/* Fewer rows of A than fill the registers. */
static void bml_nn__thin(bml_nn__target c, bml_nn__mat a, bml_nn__mat b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t depth) {
    const bml_nn__span s = {n, depth, bml_nn__is_far(n, depth) ? BML_NN__AHEAD : 0};
    ptrdiff_t i = 0;
    for (; i + 6 <= m; i += 6) {
        bml_nn__six_rows(bml_nn__to(c, i, 0), bml_nn__from(a, i, 0), b, s);
    }
    for (; i + 4 <= m; i += 4) {
        bml_nn__four_rows(bml_nn__to(c, i, 0), bml_nn__from(a, i, 0), b, s);
    }
    for (; i + 2 <= m; i += 2) {
        bml_nn__pair_of_rows(bml_nn__to(c, i, 0), bml_nn__from(a, i, 0), b, s);
    }
    if (i < m) {
        bml_nn__one_row(bml_nn__to(c, i, 0), bml_nn__from(a, i, 0), b, n, depth);
    }
}

/* One row of A against so many columns, four at most, a constant where it is called. */
static BML_NN__INLINE void bml_nn__some_columns(int columns, bml_nn_real *c, int add, bml_nn__mat a, bml_nn__mat b,
                                                ptrdiff_t depth) {
    bml_nn_real sum[4];
    BML_NN__UNROLL for (int l = 0; l < columns; l++) {
        sum[l] = add ? c[l] : 0;
    }
    for (ptrdiff_t k = 0; k < depth; k++) {
        BML_NN__UNROLL for (int l = 0; l < columns; l++) {
            sum[l] += *a.p * b.p[l];
        }
        a.p += a.cs;
        b.p += b.rs;
    }
    BML_NN__UNROLL for (int l = 0; l < columns; l++) {
        c[l] = sum[l];
    }
}

/* One row of A against fewer columns than a vector has. */
static void bml_nn__few_columns(bml_nn__target c, bml_nn__mat a, bml_nn__mat b, ptrdiff_t n, ptrdiff_t depth) {
    ptrdiff_t j = 0;
    for (; j + 4 <= n; j += 4) {
        bml_nn__some_columns(4, c.p + j, c.add, a, bml_nn__from(b, 0, j), depth);
    }
    for (; j < n; j++) {
        bml_nn__some_columns(1, c.p + j, c.add, a, bml_nn__from(b, 0, j), depth);
    }
}

/* One row of A against columns of B that are contiguous: a dot product each. */
static void bml_nn__dots(bml_nn__target c, bml_nn__mat a, bml_nn__mat b, ptrdiff_t n, ptrdiff_t depth) {
    enum { LANES = 16 };
    for (ptrdiff_t j = 0; j < n; j++) {
        const bml_nn_real *BML_NN__RESTRICT x = a.p;
        const bml_nn_real *BML_NN__RESTRICT y = b.p + j * b.cs;
        bml_nn_real partial[LANES] = {0};
        bml_nn_real sum = c.add ? c.p[j] : 0;
        ptrdiff_t k = 0;
        for (; k + LANES <= depth; k += LANES) {
            for (int l = 0; l < LANES; l++) {
                partial[l] += x[k + l] * y[k + l];
            }
        }
        for (; k < depth; k++) {
            sum += x[k] * y[k];
        }
        for (int l = 0; l < LANES; l++) {
            sum += partial[l];
        }
        c.p[j] = sum;
    }
}

/* How many vectors hold n numbers. */
static ptrdiff_t bml_nn__vectors(ptrdiff_t n) {
    return (n + BML_NN__LANES - 1) / BML_NN__LANES;
}

/* pack[depth][PANEL] from n columns of b whose rows are contiguous, zeros beside them. */
static void bml_nn__pack_rows(bml_nn_real *BML_NN__RESTRICT pack, bml_nn__mat b, ptrdiff_t n, ptrdiff_t depth) {
    for (ptrdiff_t k = 0; k < depth; k++) {
        bml_nn_real *to = pack + k * BML_NN__PANEL;
        bml_nn__copy(to, b.p + k * b.rs, n);
        bml_nn__clear(to + n, BML_NN__PANEL - n);
    }
}

#ifdef BML_NN__TURN
/* Four rows of `to`, LANES columns of them, from as many columns `width` apart: lanes 4 q ... 4 q + 3 of
   vector i hold four numbers of column 4 q + i; four by four they change places with the other vectors'. */
static BML_NN__INLINE void bml_nn__turn(bml_nn_real *to, ptrdiff_t to_width, const bml_nn_real *from, ptrdiff_t width) {
    const bml_nn__vec a = bml_nn__fours(from, 4 * width);
    const bml_nn__vec b = bml_nn__fours(from + width, 4 * width);
    const bml_nn__vec c = bml_nn__fours(from + 2 * width, 4 * width);
    const bml_nn__vec d = bml_nn__fours(from + 3 * width, 4 * width);
    const bml_nn__vec ab = BML_NN__TURN(a, b, BML_NN__LOW); /* a0 b0 a1 b1 */
    const bml_nn__vec cd = BML_NN__TURN(c, d, BML_NN__LOW);
    const bml_nn__vec ab_high = BML_NN__TURN(a, b, BML_NN__HIGH); /* a2 b2 a3 b3 */
    const bml_nn__vec cd_high = BML_NN__TURN(c, d, BML_NN__HIGH);
    BML_NN__AT(to) = BML_NN__TURN(ab, cd, BML_NN__FIRST); /* a0 b0 c0 d0 */
    BML_NN__AT(to + to_width) = BML_NN__TURN(ab, cd, BML_NN__LAST);
    BML_NN__AT(to + 2 * to_width) = BML_NN__TURN(ab_high, cd_high, BML_NN__FIRST);
    BML_NN__AT(to + 3 * to_width) = BML_NN__TURN(ab_high, cd_high, BML_NN__LAST);
}
#else
static void bml_nn__turn(bml_nn_real *to, ptrdiff_t to_width, const bml_nn_real *from, ptrdiff_t width) {
    for (ptrdiff_t l = 0; l < 4; l++) {
        for (ptrdiff_t j = 0; j < BML_NN__LANES; j++) {
            to[l * to_width + j] = from[j * width + l];
        }
    }
}
#endif

/* Four rows of n >= LANES columns; the last vector of columns may overlap the one before. */
static void bml_nn__turn_four(bml_nn_real *to, ptrdiff_t to_width, const bml_nn_real *from, ptrdiff_t width,
                              ptrdiff_t n) {
    for (ptrdiff_t j = 0; j < n; j += BML_NN__LANES) {
        ptrdiff_t at = j + BML_NN__LANES <= n ? j : n - BML_NN__LANES;
        bml_nn__turn(to + at, to_width, from + at * width, width);
    }
}

/* to[rows][n] is the transpose of from[n][rows]. Four rows at a time stay in the cache. */
static void bml_nn__turn_all(bml_nn_real *BML_NN__RESTRICT to, ptrdiff_t to_width,
                             const bml_nn_real *BML_NN__RESTRICT from, ptrdiff_t width, ptrdiff_t rows, ptrdiff_t n) {
    ptrdiff_t i = 0;
    for (; n >= BML_NN__LANES && i + 4 <= rows; i += 4) {
        bml_nn__turn_four(to + i * to_width, to_width, from + i, width, n);
    }
    for (; i < rows; i++) {
        for (ptrdiff_t j = 0; j < n; j++) {
            to[i * to_width + j] = from[i + j * width];
        }
    }
}

/* The same from columns that are contiguous. */
static void bml_nn__pack_cols(bml_nn_real *pack, bml_nn__mat b, ptrdiff_t n, ptrdiff_t depth) {
    if (n < BML_NN__PANEL) {
        bml_nn__clear(pack, depth * BML_NN__PANEL);
    }
    bml_nn__turn_all(pack, BML_NN__PANEL, b.p, b.cs, depth, n);
}

static void bml_nn__pack(bml_nn_real *pack, bml_nn__mat b, ptrdiff_t n, ptrdiff_t depth) {
    if (b.cs == 1) {
        bml_nn__pack_rows(pack, b, n, depth);
    } else {
        bml_nn__pack_cols(pack, b, n, depth);
    }
}

/* The last n < PANEL columns: whole vectors of a packed copy of B, of which those columns are kept. */
static void bml_nn__edge(bml_nn__target c, bml_nn__mat a, bml_nn__mat packed, ptrdiff_t m, ptrdiff_t n,
                         ptrdiff_t depth) {
    enum { ROWS = 12 }; /* once or twice what fits into the registers */
    bml_nn_real tile[ROWS * BML_NN__PANEL] = {0};
    bml_nn__target whole = {tile, BML_NN__PANEL, c.add};
    for (ptrdiff_t i = 0; i < m; i += ROWS) {
        ptrdiff_t rows = m - i;
        if (rows > ROWS) {
            rows = ROWS;
        }
        for (ptrdiff_t row = 0; c.add && row < rows; row++) {
            bml_nn__copy(tile + row * BML_NN__PANEL, c.p + (i + row) * c.width, n);
        }
        bml_nn__panel(whole, bml_nn__from(a, i, 0), packed, rows, bml_nn__vectors(n), depth);
        for (ptrdiff_t row = 0; row < rows; row++) {
            bml_nn__copy(c.p + (i + row) * c.width, tile + row * BML_NN__PANEL, n);
        }
    }
}

/* c[m][n] (+)= a[m][depth] b[depth][n], at most DEPTH deep. */
static void bml_nn__slab(bml_nn__target c, bml_nn__mat a, bml_nn__mat b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t depth) {
    bml_nn_real pack[BML_NN__DEPTH * BML_NN__PANEL];
    bml_nn__mat packed = {pack, BML_NN__PANEL, 1};
    ptrdiff_t j = 0;
    for (; j + BML_NN__PANEL <= n; j += BML_NN__PANEL) {
        bml_nn__mat panel = bml_nn__from(b, 0, j);
        if (b.cs != 1) {
            bml_nn__pack(pack, panel, BML_NN__PANEL, depth);
            panel = packed;
        }
        bml_nn__two_vectors(bml_nn__to(c, 0, j), a, panel, m, depth);
    }
    if (j == n) {
        return;
    }
    bml_nn__pack(pack, bml_nn__from(b, 0, j), n - j, depth);
    bml_nn__edge(bml_nn__to(c, 0, j), a, packed, m, n - j, depth);
}

/* strip[rows][width] (+)= b^T a^T, the transpose of a[columns][depth] b[depth][rows]. */
static void bml_nn__strip(bml_nn_real *strip, bml_nn__mat a, bml_nn__mat b, ptrdiff_t rows, ptrdiff_t columns,
                          ptrdiff_t depth, int add) {
    enum { DEPTH = BML_NN__DEPTH / 2 }; /* so that the copy of three vectors' width stays in the cache */
    bml_nn_real pack[DEPTH * 3 * BML_NN__LANES];
    const ptrdiff_t vectors = bml_nn__vectors(columns);
    const ptrdiff_t width = vectors * BML_NN__LANES;
    const bml_nn__mat packed = {pack, width, 1};
    bml_nn__target to = {strip, width, add};
    if (columns < width) {
        bml_nn__clear(pack, DEPTH * width);
    }
    for (ptrdiff_t k = 0; k < depth; k += DEPTH) {
        ptrdiff_t deep = depth - k;
        if (deep > DEPTH) {
            deep = DEPTH;
        }
        bml_nn__turn_all(pack, width, a.p + k, a.rs, deep, columns);
        bml_nn__panel(to, bml_nn__rows(b.p + k, b.cs), packed, rows, vectors, deep);
        to.add = 1;
    }
}

/* c[m][n] (+)= a[m][depth] b[depth][n] by its transpose, where a is packed instead of b. */
static void bml_nn__turned(bml_nn__target c, bml_nn__mat a, bml_nn__mat b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t depth) {
    enum { ROWS = 192 }; /* of the transpose at once: after as many a is packed again, three per cent of the work */
    bml_nn_real strip[ROWS * 3 * BML_NN__LANES] = {0};
    ptrdiff_t columns;
    for (ptrdiff_t i = 0; i < m; i += columns) {
        columns = bml_nn__vectors(m - i) == 3 ? m - i : BML_NN__PANEL;
        if (columns > m - i) {
            columns = m - i;
        }
        const ptrdiff_t width = bml_nn__vectors(columns) * BML_NN__LANES;
        for (ptrdiff_t j = 0; j < n; j += ROWS) {
            ptrdiff_t rows = n - j;
            if (rows > ROWS) {
                rows = ROWS;
            }
            bml_nn__target part = bml_nn__to(c, i, j);
            if (c.add) {
                bml_nn__turn_all(strip, width, part.p, c.width, rows, columns);
            }
            bml_nn__strip(strip, bml_nn__from(a, i, 0), bml_nn__from(b, 0, j), rows, columns, depth, c.add);
            bml_nn__turn_all(part.p, c.width, strip, width, columns, rows);
        }
    }
}

/* Whether that is cheaper: to pack a number costs as much as some six multiplications, to turn one of c, which leaves
   the cache in between, as some eighteen. */
static int bml_nn__better_turned(bml_nn__mat a, bml_nn__mat b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t depth) {
    const double pack = 6;
    const double turn = 18;
    if (a.cs != 1 || b.cs == 1 || b.rs != 1) {
        return 0;
    }
    const double as_is = (double)m * (double)(bml_nn__vectors(n) * BML_NN__LANES) + pack * (double)n;
    const double turned = (double)n * (double)(bml_nn__vectors(m) * BML_NN__LANES) + pack * (double)m;
    return (double)depth * (as_is - turned) > turn * (double)m * (double)n;
}

#ifdef BML_NN_USE_CBLAS
static void bml_nn__cblas(bml_nn__target c, bml_nn__mat a, bml_nn__mat b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t depth) {
    const CBLAS_TRANSPOSE ta = a.cs == 1 ? CblasNoTrans : CblasTrans;
    const CBLAS_TRANSPOSE tb = b.cs == 1 ? CblasNoTrans : CblasTrans;
    const int lda = (int)(a.cs == 1 ? a.rs : a.cs);
    const int ldb = (int)(b.cs == 1 ? b.rs : b.cs);
    const bml_nn_real beta = c.add ? BML_NN__R(1) : BML_NN__R(0);
#ifdef BML_NN_DOUBLE
    cblas_dgemm(CblasRowMajor, ta, tb, (int)m, (int)n, (int)depth, 1, a.p, lda, b.p, ldb, beta, c.p, (int)c.width);
#else
    cblas_sgemm(CblasRowMajor, ta, tb, (int)m, (int)n, (int)depth, 1, a.p, lda, b.p, ldb, beta, c.p, (int)c.width);
#endif
}
#endif

/* A few rows, each by itself. */
static void bml_nn__few_rows(bml_nn__target c, bml_nn__mat a, bml_nn__mat b, ptrdiff_t m, ptrdiff_t n,
                             ptrdiff_t depth) {
    for (ptrdiff_t i = 0; i < m; i++) {
        bml_nn__target row = bml_nn__to(c, i, 0);
        if (b.cs == 1) {
            bml_nn__few_columns(row, bml_nn__from(a, i, 0), b, n, depth);
        } else {
            bml_nn__dots(row, bml_nn__from(a, i, 0), b, n, depth);
        }
    }
}

/* c[m][n] = a[m][depth] b[depth][n], or added to c when `add` is 1. c has ldc reals a row. */
static void bml_nn__product(bml_nn_real *c, ptrdiff_t ldc, bml_nn__mat a, bml_nn__mat b, ptrdiff_t m, ptrdiff_t n,
                            ptrdiff_t depth, int add) {
    bml_nn__target to = {c, ldc, add};
#ifdef BML_NN_USE_CBLAS
    if (m >= 4 && (double)m * (double)n * (double)depth > 4096) {
        bml_nn__cblas(to, a, b, m, n, depth);
        return;
    }
#endif
    int contiguous = a.cs == 1 && b.rs == 1;
    const int wide = b.cs == 1 && n >= BML_NN__LANES;
    if (m == 1 && b.cs == 1) { /* a batch of one pays for nothing else */
        if (wide) {
            bml_nn__one_row(to, a, b, n, depth);
        } else {
            bml_nn__few_columns(to, a, b, n, depth);
        }
        return;
    }
    if (m < BML_NN__ROWS && wide) {
        bml_nn__thin(to, a, b, m, n, depth);
        return;
    }
    if (m < 4 && (b.cs == 1 || contiguous)) {
        bml_nn__few_rows(to, a, b, m, n, depth);
        return;
    }
    if (!depth && !add) {
        for (ptrdiff_t i = 0; i < m; i++) {
            bml_nn__clear(c + i * ldc, n);
        }
    }
    if (bml_nn__better_turned(a, b, m, n, depth)) {
        bml_nn__turned(to, a, b, m, n, depth);
        return;
    }
    for (ptrdiff_t k = 0; k < depth; k += BML_NN__DEPTH) {
        ptrdiff_t slab = depth - k < BML_NN__DEPTH ? depth - k : BML_NN__DEPTH;
        bml_nn__slab(to, bml_nn__from(a, 0, k), bml_nn__from(b, k, 0), m, n, slab);
        to.add = 1;
    }
}

/* to[n][m] = transpose of from[m][n] */
static void bml_nn__transpose(bml_nn_real *BML_NN__RESTRICT to, const bml_nn_real *BML_NN__RESTRICT from, ptrdiff_t m,
                              ptrdiff_t n) {
    ptrdiff_t i = 0;
    for (; i + 8 <= m; i += 8) {
        for (ptrdiff_t j = 0; j < n; j++) {
            bml_nn_real *column = to + j * m + i;
            for (int l = 0; l < 8; l++) {
                column[l] = from[(i + l) * n + j];
            }
        }
    }
    for (; i < m; i++) {
        for (ptrdiff_t j = 0; j < n; j++) {
            to[j * m + i] = from[i * n + j];
        }
    }
}

/* sum[n] = column sums of a[m][n], 64 columns at a time. */
static void bml_nn__column_sums(bml_nn_real *BML_NN__RESTRICT sum, const bml_nn_real *BML_NN__RESTRICT a, ptrdiff_t m,
                                ptrdiff_t n) {
    for (ptrdiff_t from = 0; from < n; from += 64) {
        ptrdiff_t end = n - from < 64 ? n : from + 64;
        bml_nn__clear(sum + from, end - from);
        for (ptrdiff_t i = 0; i < m; i++) {
            for (ptrdiff_t j = from; j < end; j++) {
                sum[j] += a[i * n + j];
            }
        }
    }
}

/* >> activations
   A table: name, f(x), f' from x and y = f(x), and whether f' needs x. */

#define BML_NN__ACTIVATION_TABLE(X)                                       \
    X(linear, x, 1, 0)                                                    \
    X(relu, bml_nn__relu(x), y > 0 ? BML_NN__R(1) : 0, 0)                 \
    X(leaky_relu, x > 0 ? x : slope * x, y > 0 ? BML_NN__R(1) : slope, 0) \
    X(tanh, bml_nn__tanh(x), 1 - y * y, 0)                                \
    X(sigmoid, bml_nn__logistic(x), y *(1 - y), 0)                        \
    X(softplus, bml_nn__softplus(x), bml_nn__softplus_slope(y), 0)        \
    X(silu, bml_nn__silu(x), bml_nn__silu_slope(x), 1)                    \
    X(gelu, bml_nn__gelu(x), bml_nn__gelu_slope(x), 1)                    \
    X(hardtanh, bml_nn__hardtanh(x), bml_nn__hardtanh_slope(y), 0)

static BML_NN__INLINE bml_nn_real bml_nn__relu(bml_nn_real x) {
    return x < 0 ? 0 : x; /* a NaN stays one */
}

/* 1 - e^-y, where y = log(1 + e^x) is small by its series. */
static BML_NN__INLINE bml_nn_real bml_nn__softplus_slope(bml_nn_real y) {
    return y < BML_NN__R(0.01) ? y * (1 - y / 2 * (1 - y / 3)) : 1 - bml_nn__exp(-y);
}

/* x Phi(x), and Phi(x) + x phi(x), with the normal distribution's Phi and phi. */
static BML_NN__INLINE bml_nn_real bml_nn__gelu(bml_nn_real x) {
    const bml_nn_real below = 1 + bml_nn__erf(x * BML_NN__R(0.70710678118654752));
    return x / 2 * below;
}
static BML_NN__INLINE bml_nn_real bml_nn__gelu_slope(bml_nn_real x) {
    const bml_nn_real below = 1 + bml_nn__erf(x * BML_NN__R(0.70710678118654752));
    const bml_nn_real bell = bml_nn__exp(-x * x / 2);
    return below / 2 + x * BML_NN__R(0.39894228040143268) * bell;
}

static BML_NN__INLINE bml_nn_real bml_nn__hardtanh(bml_nn_real x) {
    x = x > 1 ? BML_NN__R(1) : x;
    return x < -1 ? BML_NN__R(-1) : x;
}
static BML_NN__INLINE bml_nn_real bml_nn__hardtanh_slope(bml_nn_real y) {
    return y < 1 && y > -1 ? BML_NN__R(1) : 0;
}

#define BML_NN__FUNCTION(name, value, slope_of, needs_x)                                                          \
    static void bml_nn__act_##name(bml_nn_real *BML_NN__RESTRICT z, ptrdiff_t n, bml_nn_real slope) {             \
        (void)slope;                                                                                              \
        for (ptrdiff_t i = 0; i < n; i++) {                                                                       \
            bml_nn_real x = z[i];                                                                                 \
            z[i] = value;                                                                                         \
        }                                                                                                         \
    }                                                                                                             \
    static void bml_nn__back_##name(bml_nn_real *BML_NN__RESTRICT d, const bml_nn_real *BML_NN__RESTRICT after,   \
                                    const bml_nn_real *BML_NN__RESTRICT before, ptrdiff_t n, bml_nn_real slope) { \
        (void)slope;                                                                                              \
        for (ptrdiff_t i = 0; i < n; i++) {                                                                       \
            bml_nn_real y = after[i];                                                                             \
            bml_nn_real x = before ? before[i] : 0;                                                               \
            (void)x;                                                                                              \
            (void)y;                                                                                              \
            d[i] *= slope_of;                                                                                     \
        }                                                                                                         \
    }
BML_NN__ACTIVATION_TABLE(BML_NN__FUNCTION)
#undef BML_NN__FUNCTION

/* Over each row of `width`: e^(x - max)/sum. */
static void bml_nn__softmax(bml_nn_real *z, ptrdiff_t rows, ptrdiff_t width) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        bml_nn_real *row = z + i * width;
        bml_nn_real top = row[0];
        bml_nn_real sum = 0;
        for (ptrdiff_t j = 1; j < width; j++) {
            top = row[j] > top ? row[j] : top;
        }
        for (ptrdiff_t j = 0; j < width; j++) {
            row[j] = bml_nn__exp(row[j] - top);
        }
        for (ptrdiff_t j = 0; j < width; j++) {
            sum += row[j];
        }
        for (ptrdiff_t j = 0; j < width; j++) {
            row[j] /= sum;
        }
    }
}

static void bml_nn__back_softmax(bml_nn_real *d, const bml_nn_real *y, ptrdiff_t rows, ptrdiff_t width) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        bml_nn_real *slope = d + i * width;
        const bml_nn_real *p = y + i * width;
        bml_nn_real sum = 0;
        for (ptrdiff_t j = 0; j < width; j++) {
            sum += slope[j] * p[j];
        }
        for (ptrdiff_t j = 0; j < width; j++) {
            slope[j] = p[j] * (slope[j] - sum);
        }
    }
}

typedef struct bml_nn__activation {
    const char *name;
    void (*act)(bml_nn_real *z, ptrdiff_t n, bml_nn_real slope);
    void (*back)(bml_nn_real *d, const bml_nn_real *after, const bml_nn_real *before, ptrdiff_t n, bml_nn_real slope);
    int needs_x;
} bml_nn__activation;

#define BML_NN__ENTRY(name, value, slope_of, needs_x) {#name, bml_nn__act_##name, bml_nn__back_##name, needs_x},
static const bml_nn__activation bml_nn__activations[BML_NN_N_ACTIVATIONS] = {
    BML_NN__ACTIVATION_TABLE(BML_NN__ENTRY){"softmax", NULL, NULL, 0}};
#undef BML_NN__ENTRY

/* >> passes
   The memory of some rows on their way through the layers and back: out[i] [steps][b][features] is what layer i gives,
   d[i] the derivative of the loss by it, cache[i] what its backward pass wants to know. Each layer writes the gradient
   of its tensors whole, so that nothing need be zeroed before. */

enum { BML_NN__PLAIN, BML_NN__TRAIN, BML_NN__DRAW };

typedef struct bml_nn__lane {
    int rows;            /* room for */
    int b;               /* in use */
    int mode;            /* BML_NN__PLAIN, ... */
    uint64_t seed;       /* of the noise */
    uint32_t step;       /* number of the batch or draw */
    ptrdiff_t first;     /* number of the first row in its batch */
    bml_nn_real **out;   /* [n_nodes] */
    bml_nn_real **d;     /* [n_nodes], NULL: no way back */
    bml_nn_real **cache; /* [n_nodes] */
    bml_nn_real *scratch;
    bml_nn_real *grad;    /* [n_params], NULL: gradients of the inputs are wanted instead */
    bml_nn_real *running; /* [n_running] new running means, training */
} bml_nn__lane;

/* 128 random bits for a row of a layer, the same on any thread. */
static void bml_nn__bits(uint32_t *bits, const bml_nn__lane *lane, int node, ptrdiff_t row, ptrdiff_t block) {
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
enum { BML_NN__LOT = 32 };
static void bml_nn__bits_lot(uint32_t bits[4][BML_NN__LOT], const bml_nn__lane *lane, int node, ptrdiff_t row,
                             ptrdiff_t block) {
    uint32_t k0 = (uint32_t)lane->seed;
    uint32_t k1 = (uint32_t)(lane->seed >> 32);
    for (int l = 0; l < BML_NN__LOT; l++) {
        bits[0][l] = (uint32_t)block + (uint32_t)l;
        bits[1][l] = (uint32_t)row;
        bits[2][l] = (uint32_t)node;
        bits[3][l] = lane->step;
    }
    for (int round = 0; round < 10; round++) {
        for (int l = 0; l < BML_NN__LOT; l++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * bits[0][l];
            uint64_t p1 = (uint64_t)0xCD9E8D57u * bits[2][l];
            bits[0][l] = (uint32_t)(p1 >> 32) ^ bits[1][l] ^ k0;
            bits[1][l] = (uint32_t)p1;
            bits[2][l] = (uint32_t)(p0 >> 32) ^ bits[3][l] ^ k1;
            bits[3][l] = (uint32_t)p0;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

static const bml_nn_real *bml_nn__param(const bml_nn *net, int node, int k) {
    return net->params + net->tensors[net->nodes[node].tensor + k].offset;
}

static bml_nn_real *bml_nn__grad(const bml_nn *net, const bml_nn__lane *lane, int node, int k) {
    return lane->grad + net->tensors[net->nodes[node].tensor + k].offset;
}

/* The bias of a dense or convolutional layer, NULL if it has none. */
static const bml_nn_real *bml_nn__bias(const bml_nn *net, int i) {
    return net->nodes[i].spec.no_bias ? NULL : bml_nn__param(net, i, 1);
}

/* Rows of a layer's matrix: those of the batch, step by step. */
static ptrdiff_t bml_nn__rows_of(const bml_nn__node *n, const bml_nn__lane *lane) {
    return (ptrdiff_t)n->steps * lane->b;
}

static ptrdiff_t bml_nn__cells(const bml_nn__node *n, const bml_nn__lane *lane) {
    return bml_nn__rows_of(n, lane) * n->out;
}

/* What layer i takes (its first source), and the place for the derivative by it. */
static const bml_nn_real *bml_nn__source(const bml_nn *net, const bml_nn__lane *lane, int i) {
    return lane->out[net->nodes[i].from[0]];
}

static bml_nn_real *bml_nn__d_source(const bml_nn *net, const bml_nn__lane *lane, int i) {
    return lane->d[net->nodes[i].from[0]];
}

/* Whether the derivative by source j of a layer is wanted: not that by the inputs while weights are trained. */
static int bml_nn__wants(const bml_nn *net, const bml_nn__lane *lane, const bml_nn__node *n, int j) {
    return !lane->grad || net->nodes[n->from[j]].spec.kind != BML_NN_INPUT;
}

/* z becomes act(z + bias); `before` keeps z + bias where the derivative needs it. */
static void bml_nn__activate(const bml_nn__node *n, bml_nn_real *z, bml_nn_real *before, const bml_nn_real *bias,
                             ptrdiff_t rows) {
    const bml_nn__activation *a = &bml_nn__activations[n->spec.activation];
    const bml_nn_real slope = (bml_nn_real)n->spec.slope;
    ptrdiff_t width = n->out;
    for (ptrdiff_t i = 0; i < rows; i++) {
        bml_nn_real *BML_NN__RESTRICT row = z + i * width;
        for (ptrdiff_t j = 0; bias && j < width; j++) {
            row[j] += bias[j];
        }
        if (a->needs_x) {
            bml_nn__copy(before + i * width, row, width);
        }
        if (a->act) {
            a->act(row, width, slope);
        } else {
            bml_nn__softmax(row, 1, width);
        }
    }
}

/* Gradient of a bias: the sum of d over its rows. */
static void bml_nn__bias_grad(const bml_nn *net, const bml_nn__lane *lane, int i, ptrdiff_t rows) {
    const bml_nn__node *n = &net->nodes[i];
    if (lane->grad && !n->spec.no_bias) {
        bml_nn__column_sums(bml_nn__grad(net, lane, i, 1), lane->d[i], rows, n->out);
    }
}

/* d becomes the derivative by what went into the activation. */
static void bml_nn__deactivate(const bml_nn__node *n, bml_nn_real *d, const bml_nn_real *after,
                               const bml_nn_real *before, ptrdiff_t rows) {
    const bml_nn__activation *a = &bml_nn__activations[n->spec.activation];
    const bml_nn_real slope = (bml_nn_real)n->spec.slope;
    ptrdiff_t width = n->out;
    if (a->back) {
        a->back(d, after, a->needs_x ? before : NULL, rows * width, slope);
    } else {
        bml_nn__back_softmax(d, after, rows, width);
    }
}

/* >> dense layers
   y = act(x W + b), all steps and rows in one product. */

static void bml_nn__dense_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    ptrdiff_t rows = bml_nn__rows_of(n, lane);
    bml_nn_real *y = lane->out[i];
    const bml_nn__mat x = bml_nn__rows(bml_nn__source(net, lane, i), n->in);
    const bml_nn__mat w = bml_nn__rows(bml_nn__param(net, i, 0), n->out);
    bml_nn__product(y, n->out, x, w, rows, n->out, n->in, 0);
    bml_nn__activate(n, y, lane->cache[i], bml_nn__bias(net, i), rows);
}

/* dW = x^T d, db = sum of d over rows, dx = d W^T. */
static void bml_nn__dense_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    ptrdiff_t rows = bml_nn__rows_of(n, lane);
    ptrdiff_t in = n->in;
    ptrdiff_t out = n->out;
    bml_nn_real *d = lane->d[i];
    const bml_nn__mat D = bml_nn__rows(d, out);
    bml_nn__deactivate(n, d, lane->out[i], lane->cache[i], rows);
    if (lane->grad) {
        const bml_nn__mat xt = bml_nn__cols(bml_nn__source(net, lane, i), in);
        bml_nn__product(bml_nn__grad(net, lane, i, 0), out, xt, D, in, out, rows, 0);
    }
    bml_nn__bias_grad(net, lane, i, rows);
    if (!bml_nn__wants(net, lane, n, 0)) {
        return;
    }
    const bml_nn__mat wt = bml_nn__cols(bml_nn__param(net, i, 0), out);
    bml_nn__product(bml_nn__d_source(net, lane, i), in, D, wt, rows, in, out, !n->fresh[0]);
}

/* >> Bayesian layers
   Dense with Flipout. The bias is the weight of one more input that is always 1. The cache holds the signs s
   [rows][in+1] and r [rows][out], what went into the activation [rows][out], and once eps and dW = sd eps, each
   [in+1][out]. */

typedef struct bml_nn__flip { /* a Bayesian layer's part of a lane */
    ptrdiff_t rows;
    ptrdiff_t in;
    ptrdiff_t out;
    bml_nn_real *s;
    bml_nn_real *r;
    bml_nn_real *before;
    bml_nn_real *eps;
    bml_nn_real *dw;
    bml_nn_real *xs; /* scratch [rows][in]: x * s */
    bml_nn_real *p;  /* scratch [rows][out] */
} bml_nn__flip;

static bml_nn__flip bml_nn__flip_of(const bml_nn *net, const bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    bml_nn__flip f;
    f.rows = bml_nn__rows_of(n, lane);
    f.in = n->in;
    f.out = n->out;
    f.s = lane->cache[i];
    f.r = f.s + f.rows * (f.in + 1);
    f.before = f.r + f.rows * f.out;
    f.eps = f.before + f.rows * f.out;
    f.dw = f.eps + (f.in + 1) * f.out;
    f.xs = lane->scratch;
    f.p = f.xs + f.rows * f.in;
    return f;
}

/* eps and dW of this batch or draw. */
static void bml_nn__bayes_perturb(const bml_nn *net, const bml_nn__lane *lane, const bml_nn__flip *f, int i) {
    ptrdiff_t weights = f->in * f->out;
    ptrdiff_t all = weights + f->out;
    const bml_nn_real *rho = bml_nn__param(net, i, 2);
    const bml_nn_real *rho_bias = bml_nn__param(net, i, 3);
    bml_nn_rng rng = bml_nn__stream(lane->seed, 0xFFFFFFFFu, (uint32_t)i, lane->step);
    for (ptrdiff_t k = 0; k < all; k++) {
        bml_nn_real width = bml_nn__softplus(k < weights ? rho[k] : rho_bias[k - weights]);
        f->eps[k] = (bml_nn_real)bml_nn_rng_normal(&rng);
        f->dw[k] = f->eps[k] * width;
    }
}

/* Signs: those of the in+1 inputs, then those of the outputs; all +1 in a draw, which is one set of weights. */
static void bml_nn__bayes_signs(const bml_nn__lane *lane, const bml_nn__flip *f, int i) {
    ptrdiff_t in = f->in + 1;
    ptrdiff_t each = in + f->out;
    for (ptrdiff_t row = 0; row < f->rows; row++) {
        ptrdiff_t number = lane->first + row % lane->b;
        ptrdiff_t t = row / lane->b;
        for (ptrdiff_t j = 0; j < each; j++) {
            ptrdiff_t bit = t * each + j;
            uint32_t bits[4] = {0, 0, 0, 0};
            bml_nn_real *to = j < in ? f->s + row * in + j : f->r + row * f->out + j - in;
            if (lane->mode == BML_NN__TRAIN) {
                bml_nn__bits(bits, lane, i, number, bit / 128);
            }
            int negative = bits[bit / 32 % 4] >> (bit % 32) & 1;
            *to = negative ? BML_NN__R(-1) : BML_NN__R(1);
        }
    }
}

/* xs = x * s */
static void bml_nn__bayes_flip(const bml_nn__flip *f, const bml_nn_real *x) {
    for (ptrdiff_t row = 0; row < f->rows; row++) {
        const bml_nn_real *from = x + row * f->in;
        const bml_nn_real *s = f->s + row * (f->in + 1);
        bml_nn_real *to = f->xs + row * f->in;
        for (ptrdiff_t j = 0; j < f->in; j++) {
            to[j] = from[j] * s[j];
        }
    }
}

static void bml_nn__bayes_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const bml_nn__flip f = bml_nn__flip_of(net, lane, i);
    const bml_nn_real *x = bml_nn__source(net, lane, i);
    bml_nn_real *y = lane->out[i];
    const bml_nn__mat w = bml_nn__rows(bml_nn__param(net, i, 0), f.out);
    bml_nn__product(y, f.out, bml_nn__rows(x, f.in), w, f.rows, f.out, f.in, 0);
    if (lane->mode != BML_NN__PLAIN) {
        bml_nn__bayes_perturb(net, lane, &f, i);
        bml_nn__bayes_signs(lane, &f, i);
        bml_nn__bayes_flip(&f, x);
        const bml_nn__mat dw = bml_nn__rows(f.dw, f.out);
        bml_nn__product(f.p, f.out, bml_nn__rows(f.xs, f.in), dw, f.rows, f.out, f.in, 0);
        const bml_nn_real *dw_bias = f.dw + f.in * f.out;
        for (ptrdiff_t row = 0; row < f.rows; row++) {
            const bml_nn_real one = f.s[row * (f.in + 1) + f.in];
            const bml_nn_real *p = f.p + row * f.out;
            const bml_nn_real *r = f.r + row * f.out;
            bml_nn_real *to = y + row * f.out;
            for (ptrdiff_t j = 0; j < f.out; j++) {
                to[j] += (p[j] + one * dw_bias[j]) * r[j];
            }
        }
    }
    bml_nn__activate(n, y, f.before, bml_nn__bias(net, i), f.rows);
}

/* Gradients of rho from those of dW: d(dW)/d(rho) = eps s(rho). */
static void bml_nn__bayes_rho(bml_nn_real *g, const bml_nn_real *eps, const bml_nn_real *rho, ptrdiff_t n) {
    for (ptrdiff_t k = 0; k < n; k++) {
        g[k] *= eps[k] * bml_nn__logistic(rho[k]);
    }
}

/* Gradients of the four tensors from d, by x W, and p, by what is perturbed. */
static void bml_nn__bayes_grads(const bml_nn *net, bml_nn__lane *lane, const bml_nn__flip *f, int i) {
    const bml_nn_real *x = bml_nn__source(net, lane, i);
    const bml_nn_real *d = lane->d[i];
    ptrdiff_t in = f->in;
    ptrdiff_t out = f->out;
    bml_nn_real *g_rho = bml_nn__grad(net, lane, i, 2);
    bml_nn_real *g_bias = bml_nn__grad(net, lane, i, 3);
    bml_nn__product(bml_nn__grad(net, lane, i, 0), out, bml_nn__cols(x, in), bml_nn__rows(d, out), in, out, f->rows, 0);
    bml_nn__column_sums(bml_nn__grad(net, lane, i, 1), d, f->rows, out);
    bml_nn__bayes_flip(f, x);
    bml_nn__product(g_rho, out, bml_nn__cols(f->xs, in), bml_nn__rows(f->p, out), in, out, f->rows, 0);
    bml_nn__bayes_rho(g_rho, f->eps, bml_nn__param(net, i, 2), in * out);
    bml_nn__clear(g_bias, out);
    for (ptrdiff_t row = 0; row < f->rows; row++) {
        const bml_nn_real one = f->s[row * (in + 1) + in];
        const bml_nn_real *p = f->p + row * out;
        for (ptrdiff_t j = 0; j < out; j++) {
            g_bias[j] += p[j] * one;
        }
    }
    bml_nn__bayes_rho(g_bias, f->eps + in * out, bml_nn__param(net, i, 3), out);
}

static void bml_nn__bayes_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const bml_nn__flip f = bml_nn__flip_of(net, lane, i);
    bml_nn_real *d = lane->d[i];
    bml_nn_real *dx = bml_nn__d_source(net, lane, i);
    int train = lane->mode == BML_NN__TRAIN;
    bml_nn__deactivate(n, d, lane->out[i], f.before, f.rows);
    if (train) {
        for (ptrdiff_t j = 0; j < f.rows * f.out; j++) {
            f.p[j] = d[j] * f.r[j];
        }
    }
    if (lane->grad) {
        bml_nn__bayes_grads(net, lane, &f, i);
    }
    if (!bml_nn__wants(net, lane, n, 0)) {
        return;
    }
    const bml_nn__mat wt = bml_nn__cols(bml_nn__param(net, i, 0), f.out);
    bml_nn__product(dx, f.in, bml_nn__rows(d, f.out), wt, f.rows, f.in, f.out, !n->fresh[0]);
    if (!train) {
        return;
    }
    const bml_nn__mat dwt = bml_nn__cols(f.dw, f.out);
    bml_nn__product(f.xs, f.in, bml_nn__rows(f.p, f.out), dwt, f.rows, f.in, f.out, 0);
    for (ptrdiff_t row = 0; row < f.rows; row++) {
        const bml_nn_real *s = f.s + row * (f.in + 1);
        const bml_nn_real *from = f.xs + row * f.in;
        bml_nn_real *to = dx + row * f.in;
        for (ptrdiff_t j = 0; j < f.in; j++) {
            to[j] += from[j] * s[j];
        }
    }
}

/* >> recurrent layers
   GRU, LSTM, RNN. One product makes the input part of all steps and gates, one product a step the recurrent part of all
   gates; the elementwise rest of a step is one loop. A cell is one direction; h has one more slot of zeros before the
   first state it makes, so that the states before all steps are one matrix too. */

typedef struct bml_nn__cell {
    int steps;
    int b;
    int in;
    int units;
    int gates;
    int reverse;
    const bml_nn_real *w; /* [in][G], G = gates units */
    const bml_nn_real *r; /* [units][G] */
    const bml_nn_real
        *bias; /* [G], GRU, reset after: [2][G]; in scratch where the layer has none, or two that add up */
    const bml_nn_real *lengths; /* [b] steps of each row, NULL: all */
    bml_nn_real *g;             /* [steps][b][G] the gates */
    bml_nn_real *h;             /* [steps+1][b][units] */
    bml_nn_real *aux;           /* [steps][b][units] GRU: h Rn + cn, or r * h; LSTM: tanh(c) */
    bml_nn_real *c;             /* [steps+1][b][units] LSTM */
    bml_nn_real *dg;            /* [steps][b][G] by the gates, input side */
    bml_nn_real *dt;            /* the same, or of the recurrent side where that differs (GRU, reset after) */
    bml_nn_real *t;             /* scratch [b][G] */
    bml_nn_real *dh;            /* scratch [b][units] */
    bml_nn_real *dc;            /* scratch [b][units] */
    bml_nn_real *rt;            /* scratch [G][units] the transpose of r */
    bml_nn_real *sum;           /* scratch [2][G] for the bias */
    bml_nn_real *kept;          /* scratch [b][2 units]: dh and dc of rows that have ended */
} bml_nn__cell;

static int bml_nn__gates(const bml_nn_layer *l) {
    switch (l->kind) {
    case BML_NN_GRU: return 3;
    case BML_NN_LSTM: return 4;
    default: return 1;
    }
}

static int bml_nn__two_sided(const bml_nn_layer *l) {
    return l->kind == BML_NN_GRU && !l->reset_before;
}

/* Whether the bias of a cell has two rows. */
static int bml_nn__two_rows(const bml_nn_layer *l) {
    return bml_nn__two_sided(l) || l->two_biases;
}

/* Number of the first tensor of a direction: kernel, then recurrent and, if there is one, bias. */
static int bml_nn__direction(const bml_nn__node *n, int reverse) {
    return reverse * n->n_tensors / 2;
}

/* The bias of a cell as its steps want it. */
static void bml_nn__cell_bias(const bml_nn *net, bml_nn__cell *c, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t G = (ptrdiff_t)c->units * c->gates;
    if (!n->spec.no_bias) {
        c->bias = bml_nn__param(net, i, bml_nn__direction(n, c->reverse) + 2);
        if (!n->spec.two_biases) {
            return;
        }
    }
    for (ptrdiff_t j = 0; j < 2 * G; j++) {
        c->sum[j] = n->spec.no_bias || j >= G ? 0 : c->bias[j] + c->bias[G + j];
    }
    c->bias = c->sum;
}

static bml_nn__cell bml_nn__cell_of(const bml_nn *net, const bml_nn__lane *lane, int i, int reverse) {
    const bml_nn__node *n = &net->nodes[i];
    const int k = bml_nn__direction(n, reverse);
    const ptrdiff_t b = lane->b;
    const ptrdiff_t u = n->spec.units;
    const ptrdiff_t states = (ptrdiff_t)n->in_steps * b * u;
    bml_nn__cell c;
    c.steps = n->in_steps;
    c.b = lane->b;
    c.in = n->in;
    c.units = n->spec.units;
    c.gates = bml_nn__gates(&n->spec);
    c.reverse = reverse;
    c.w = bml_nn__param(net, i, k);
    c.r = bml_nn__param(net, i, k + 1);
    c.g = lane->cache[i] + (reverse ? b * n->cache / 2 : 0);
    c.h = c.g + states * c.gates;
    c.aux = c.h + states + b * u;
    c.c = c.aux + (n->spec.kind == BML_NN_RNN ? 0 : states);
    c.dg = NULL;
    if (lane->d) {
        c.dg = lane->cache[i] + b * n->cache + (reverse ? b * n->dcache / 2 : 0);
    }
    c.dt = c.dg && bml_nn__two_sided(&n->spec) ? c.dg + states * c.gates : c.dg;
    c.t = lane->scratch;
    c.dh = c.t + b * u * c.gates;
    c.dc = c.dh + b * u;
    c.rt = c.dc + b * u;
    c.sum = c.rt + c.gates * u * u;
    c.kept = c.sum + 2 * c.gates * u;
    c.lengths = n->lengths < 0 ? NULL : lane->out[n->lengths];
    bml_nn__cell_bias(net, &c, i);
    return c;
}

/* What step t of a cell reads and writes, from the first row of the batch on. */
typedef struct bml_nn__moment {
    ptrdiff_t u;
    ptrdiff_t G;
    bml_nn_real *g;              /* gates [b][G] */
    bml_nn_real *aux;            /* [b][u] */
    bml_nn_real *h;              /* the state after the step [b][u] */
    const bml_nn_real *h_before; /* and before */
    bml_nn_real *c;              /* LSTM: the same of c */
    const bml_nn_real *c_before;
    bml_nn_real *d; /* [b][G] by the gates, input side */
    bml_nn_real *e; /* recurrent side */
} bml_nn__moment;

static bml_nn__moment bml_nn__moment_of(const bml_nn__cell *k, ptrdiff_t t) {
    const ptrdiff_t after = k->reverse ? t : t + 1;
    const ptrdiff_t before = k->reverse ? t + 1 : t;
    const ptrdiff_t u = k->units;
    const ptrdiff_t states = k->b * u;
    bml_nn__moment m;
    m.u = u;
    m.G = u * k->gates;
    m.g = k->g + t * k->b * m.G;
    m.aux = k->aux + t * states;
    m.h = k->h + after * states;
    m.h_before = k->h + before * states;
    m.c = k->c + after * states;
    m.c_before = k->c + before * states;
    m.d = k->dg ? k->dg + t * k->b * m.G : NULL;
    m.e = k->dt ? k->dt + t * k->b * m.G : NULL;
    return m;
}

static void bml_nn__lstm_step(const bml_nn__cell *k, const bml_nn__moment *m) {
    const ptrdiff_t u = m->u;
    for (ptrdiff_t row = 0; row < k->b; row++) {
        bml_nn_real *BML_NN__RESTRICT gi = m->g + row * 4 * u;
        bml_nn_real *BML_NN__RESTRICT gf = gi + u;
        bml_nn_real *BML_NN__RESTRICT gg = gf + u;
        bml_nn_real *BML_NN__RESTRICT go = gg + u;
        bml_nn_real *BML_NN__RESTRICT h = m->h + row * u;
        bml_nn_real *BML_NN__RESTRICT tc = m->aux + row * u;
        bml_nn_real *BML_NN__RESTRICT c = m->c + row * u;
        const bml_nn_real *BML_NN__RESTRICT before = m->c_before + row * u;
        const bml_nn_real *BML_NN__RESTRICT bias = k->bias;
        BML_NN__INDEPENDENT
        for (ptrdiff_t j = 0; j < u; j++) {
            gi[j] = bml_nn__logistic(gi[j] + bias[j]);
            gf[j] = bml_nn__logistic(gf[j] + bias[u + j]);
            gg[j] = bml_nn__tanh(gg[j] + bias[2 * u + j]);
            go[j] = bml_nn__logistic(go[j] + bias[3 * u + j]);
            c[j] = gf[j] * before[j] + gi[j] * gg[j];
            tc[j] = bml_nn__tanh(c[j]);
            h[j] = go[j] * tc[j];
        }
    }
}

/* k->t holds h R (no bias), or nothing when first: then h = 0. */
static void bml_nn__gru_step(const bml_nn__cell *k, const bml_nn__moment *m, int first) {
    const ptrdiff_t u = m->u;
    if (first) {
        bml_nn__clear(k->t, k->b * m->G);
    }
    for (ptrdiff_t row = 0; row < k->b; row++) {
        bml_nn_real *BML_NN__RESTRICT gz = m->g + row * 3 * u;
        bml_nn_real *BML_NN__RESTRICT gr = gz + u;
        bml_nn_real *BML_NN__RESTRICT gn = gr + u;
        bml_nn_real *BML_NN__RESTRICT h = m->h + row * u;
        bml_nn_real *BML_NN__RESTRICT a = m->aux + row * u;
        const bml_nn_real *BML_NN__RESTRICT t = k->t + row * 3 * u;
        const bml_nn_real *BML_NN__RESTRICT before = m->h_before + row * u;
        const bml_nn_real *BML_NN__RESTRICT bias = k->bias;
        const bml_nn_real *BML_NN__RESTRICT c = bias + 3 * u;
        BML_NN__INDEPENDENT
        for (ptrdiff_t j = 0; j < u; j++) {
            gz[j] = bml_nn__logistic(gz[j] + bias[j] + t[j] + c[j]);
            gr[j] = bml_nn__logistic(gr[j] + bias[u + j] + t[u + j] + c[u + j]);
            a[j] = t[2 * u + j] + c[2 * u + j];
            gn[j] = bml_nn__tanh(gn[j] + bias[2 * u + j] + gr[j] * a[j]);
            h[j] = gn[j] + gz[j] * (before[j] - gn[j]);
        }
    }
}

/* The other variant: z, r and r * h, where g holds h Rz, h Rr too; then, after the product (r * h) Rn, the state. */
static void bml_nn__gru_before_gates(const bml_nn__cell *k, const bml_nn__moment *m) {
    const ptrdiff_t u = m->u;
    for (ptrdiff_t row = 0; row < k->b; row++) {
        bml_nn_real *BML_NN__RESTRICT gz = m->g + row * 3 * u;
        bml_nn_real *BML_NN__RESTRICT gr = gz + u;
        bml_nn_real *BML_NN__RESTRICT a = m->aux + row * u;
        const bml_nn_real *BML_NN__RESTRICT before = m->h_before + row * u;
        const bml_nn_real *BML_NN__RESTRICT bias = k->bias;
        BML_NN__INDEPENDENT
        for (ptrdiff_t j = 0; j < u; j++) {
            gz[j] = bml_nn__logistic(gz[j] + bias[j]);
            gr[j] = bml_nn__logistic(gr[j] + bias[u + j]);
            a[j] = gr[j] * before[j];
        }
    }
}

static void bml_nn__gru_before_state(const bml_nn__cell *k, const bml_nn__moment *m) {
    const ptrdiff_t u = m->u;
    for (ptrdiff_t row = 0; row < k->b; row++) {
        const bml_nn_real *BML_NN__RESTRICT gz = m->g + row * 3 * u;
        bml_nn_real *BML_NN__RESTRICT gn = m->g + row * 3 * u + 2 * u;
        bml_nn_real *BML_NN__RESTRICT h = m->h + row * u;
        const bml_nn_real *BML_NN__RESTRICT before = m->h_before + row * u;
        const bml_nn_real *BML_NN__RESTRICT bias = k->bias + 2 * u;
        BML_NN__INDEPENDENT
        for (ptrdiff_t j = 0; j < u; j++) {
            gn[j] = bml_nn__tanh(gn[j] + bias[j]);
            h[j] = gn[j] + gz[j] * (before[j] - gn[j]);
        }
    }
}

static void bml_nn__rnn_step(const bml_nn__node *n, const bml_nn__cell *k, const bml_nn__moment *m) {
    const ptrdiff_t u = m->u;
    for (ptrdiff_t row = 0; row < k->b; row++) {
        bml_nn_real *g = m->g + row * u;
        for (ptrdiff_t j = 0; j < u; j++) {
            g[j] += k->bias[j];
        }
    }
    bml_nn__copy(m->h, m->g, k->b * u);
    bml_nn__activations[n->spec.activation].act(m->h, k->b * u, 0);
}

/* Whether a row has ended before step t. */
static int bml_nn__ended(const bml_nn__cell *k, ptrdiff_t row, ptrdiff_t t) {
    return k->lengths && (bml_nn_real)t >= k->lengths[row];
}

/* The state of rows that have ended before step t stays as it is. */
static void bml_nn__hold_ended(const bml_nn__node *n, const bml_nn__cell *k, const bml_nn__moment *m, ptrdiff_t t) {
    for (ptrdiff_t row = 0; row < k->b; row++) {
        const ptrdiff_t at = row * m->u;
        if (!bml_nn__ended(k, row, t)) {
            continue;
        }
        bml_nn__copy(m->h + at, m->h_before + at, m->u);
        if (n->spec.kind == BML_NN_LSTM) {
            bml_nn__copy(m->c + at, m->c_before + at, m->u);
        }
    }
}

/* Step t of a cell; at the first one h is zero and its products are left out. */
static void bml_nn__cell_step(const bml_nn__node *n, const bml_nn__cell *k, ptrdiff_t t, int first) {
    const bml_nn__moment m = bml_nn__moment_of(k, t);
    const ptrdiff_t b = k->b;
    const ptrdiff_t u = m.u;
    const ptrdiff_t G = m.G;
    const bml_nn__mat H = bml_nn__rows(m.h_before, u);
    const bml_nn__mat R = bml_nn__rows(k->r, G);
    if (n->spec.kind == BML_NN_LSTM) {
        if (!first) {
            bml_nn__product(m.g, G, H, R, b, G, u, 1);
        }
        bml_nn__lstm_step(k, &m);
    } else if (n->spec.kind == BML_NN_RNN) {
        if (!first) {
            bml_nn__product(m.g, G, H, R, b, G, u, 1);
        }
        bml_nn__rnn_step(n, k, &m);
    } else if (n->spec.reset_before) {
        const bml_nn__mat Rn = bml_nn__rows(k->r + 2 * u, G);
        if (!first) {
            bml_nn__product(m.g, G, H, R, b, 2 * u, u, 1);
        }
        bml_nn__gru_before_gates(k, &m);
        if (!first) {
            bml_nn__product(m.g + 2 * u, G, bml_nn__rows(m.aux, u), Rn, b, u, u, 1);
        }
        bml_nn__gru_before_state(k, &m);
    } else {
        if (!first) {
            bml_nn__product(k->t, G, H, R, b, G, u, 0);
        }
        bml_nn__gru_step(k, &m, first);
    }
    if (k->lengths) {
        bml_nn__hold_ended(n, k, &m, t);
    }
}

/* The states that a layer gives: all of them, or the last one the cell made. */
static void bml_nn__cell_output(const bml_nn__node *n, const bml_nn__cell *k, bml_nn_real *out) {
    const ptrdiff_t b = k->b;
    const ptrdiff_t u = k->units;
    const int last = k->reverse ? 0 : k->steps - 1;
    for (ptrdiff_t t = 0; t < k->steps; t++) {
        if (!n->spec.sequence && t != last) {
            continue;
        }
        const bml_nn__moment m = bml_nn__moment_of(k, t);
        bml_nn_real *to = out + (n->spec.sequence ? t * b * n->out : 0) + k->reverse * u;
        for (ptrdiff_t row = 0; row < b; row++) {
            int padding = n->spec.sequence && bml_nn__ended(k, row, t);
            if (padding) {
                bml_nn__clear(to + row * n->out, u);
            } else {
                bml_nn__copy(to + row * n->out, m.h + row * u, u);
            }
        }
    }
}

static void bml_nn__recurrent_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t T = n->in_steps;
    const bml_nn__mat x = bml_nn__rows(bml_nn__source(net, lane, i), n->in);
    for (int reverse = 0; reverse <= n->spec.bidirectional; reverse++) {
        const bml_nn__cell k = bml_nn__cell_of(net, lane, i, reverse);
        const ptrdiff_t states = (ptrdiff_t)k.b * k.units;
        const ptrdiff_t G = (ptrdiff_t)k.units * k.gates;
        const ptrdiff_t zero = reverse ? T * states : 0;
        bml_nn__product(k.g, G, x, bml_nn__rows(k.w, G), T * k.b, G, k.in, 0);
        bml_nn__clear(k.h + zero, states);
        if (n->spec.kind == BML_NN_LSTM) {
            bml_nn__clear(k.c + zero, states);
        }
        for (ptrdiff_t s = 0; s < T; s++) {
            bml_nn__cell_step(n, &k, reverse ? T - 1 - s : s, s == 0);
        }
        bml_nn__cell_output(n, &k, lane->out[i]);
    }
}

/* Backward through one step: d from dh (by the state after), then dh becomes its direct part of the state before; what
   goes through the recurrent product is added by the caller. */
static void bml_nn__lstm_back(const bml_nn__cell *k, const bml_nn__moment *m) {
    const ptrdiff_t u = m->u;
    for (ptrdiff_t row = 0; row < k->b; row++) {
        const bml_nn_real *BML_NN__RESTRICT g = m->g + row * 4 * u;
        const bml_nn_real *BML_NN__RESTRICT tc = m->aux + row * u;
        const bml_nn_real *BML_NN__RESTRICT cb = m->c_before + row * u;
        bml_nn_real *BML_NN__RESTRICT d = m->d + row * 4 * u;
        bml_nn_real *BML_NN__RESTRICT dh = k->dh + row * u;
        bml_nn_real *BML_NN__RESTRICT dc = k->dc + row * u;
        BML_NN__INDEPENDENT
        for (ptrdiff_t j = 0; j < u; j++) {
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

static void bml_nn__gru_back(const bml_nn__cell *k, const bml_nn__moment *m) {
    const ptrdiff_t u = m->u;
    for (ptrdiff_t row = 0; row < k->b; row++) {
        const bml_nn_real *BML_NN__RESTRICT g = m->g + row * 3 * u;
        const bml_nn_real *BML_NN__RESTRICT a = m->aux + row * u;
        const bml_nn_real *BML_NN__RESTRICT hb = m->h_before + row * u;
        bml_nn_real *BML_NN__RESTRICT d = m->d + row * 3 * u;
        bml_nn_real *BML_NN__RESTRICT e = m->e + row * 3 * u;
        bml_nn_real *BML_NN__RESTRICT dh = k->dh + row * u;
        BML_NN__INDEPENDENT
        for (ptrdiff_t j = 0; j < u; j++) {
            bml_nn_real z = g[j];
            bml_nn_real r = g[u + j];
            bml_nn_real n = g[2 * u + j];
            bml_nn_real dn = dh[j] * (1 - z) * (1 - n * n);
            bml_nn_real dz = dh[j] * (hb[j] - n) * z * (1 - z);
            bml_nn_real dr = dn * a[j] * r * (1 - r);
            d[j] = dz;
            e[j] = dz;
            d[u + j] = dr;
            e[u + j] = dr;
            d[2 * u + j] = dn;
            e[2 * u + j] = dn * r;
            dh[j] *= z;
        }
    }
}

static void bml_nn__gru_before_back(const bml_nn__cell *k, const bml_nn__moment *m) {
    const ptrdiff_t u = m->u;
    const ptrdiff_t b = k->b;
    for (ptrdiff_t row = 0; row < b; row++) {
        const bml_nn_real *BML_NN__RESTRICT g = m->g + row * 3 * u;
        const bml_nn_real *BML_NN__RESTRICT hb = m->h_before + row * u;
        const bml_nn_real *BML_NN__RESTRICT dh = k->dh + row * u;
        bml_nn_real *BML_NN__RESTRICT d = m->d + row * 3 * u;
        BML_NN__INDEPENDENT
        for (ptrdiff_t j = 0; j < u; j++) {
            bml_nn_real z = g[j];
            bml_nn_real n = g[2 * u + j];
            d[j] = dh[j] * (hb[j] - n) * z * (1 - z);
            d[2 * u + j] = dh[j] * (1 - z) * (1 - n * n);
        }
    }
    /* t[b][units] = derivative by r * h */
    const bml_nn__mat dn = bml_nn__rows(m->d + 2 * u, 3 * u);
    const bml_nn__mat rt = bml_nn__rows(k->rt + 2 * u * u, u);
    bml_nn__product(k->t, u, dn, rt, b, u, u, 0);
    for (ptrdiff_t row = 0; row < b; row++) {
        const bml_nn_real *BML_NN__RESTRICT g = m->g + row * 3 * u;
        const bml_nn_real *BML_NN__RESTRICT hb = m->h_before + row * u;
        const bml_nn_real *BML_NN__RESTRICT by = k->t + row * u;
        bml_nn_real *BML_NN__RESTRICT d = m->d + row * 3 * u + u;
        bml_nn_real *BML_NN__RESTRICT dh = k->dh + row * u;
        BML_NN__INDEPENDENT
        for (ptrdiff_t j = 0; j < u; j++) {
            bml_nn_real z = g[j];
            bml_nn_real r = g[u + j];
            d[j] = by[j] * hb[j] * r * (1 - r);
            dh[j] = dh[j] * z + by[j] * r;
        }
    }
}

static void bml_nn__rnn_back(const bml_nn__node *n, const bml_nn__cell *k, const bml_nn__moment *m) {
    const ptrdiff_t states = k->b * m->u;
    bml_nn__copy(m->d, k->dh, states);
    bml_nn__activations[n->spec.activation].back(m->d, m->h, NULL, states, 0);
    bml_nn__clear(k->dh, states);
}

/* dh and dc of rows that have ended before step t are kept; */
static void bml_nn__keep_ended(const bml_nn__cell *k, const bml_nn__moment *m, ptrdiff_t t) {
    const ptrdiff_t u = m->u;
    for (ptrdiff_t row = 0; row < k->b; row++) {
        if (bml_nn__ended(k, row, t)) {
            bml_nn__copy(k->kept + 2 * row * u, k->dh + row * u, u);
            bml_nn__copy(k->kept + 2 * row * u + u, k->dc + row * u, u);
        }
    }
}

/* and given back: the step does nothing to them, and takes no gradient from them. */
static void bml_nn__give_ended(const bml_nn__cell *k, const bml_nn__moment *m, ptrdiff_t t) {
    const ptrdiff_t u = m->u;
    for (ptrdiff_t row = 0; row < k->b; row++) {
        if (bml_nn__ended(k, row, t)) {
            bml_nn__copy(k->dh + row * u, k->kept + 2 * row * u, u);
            bml_nn__copy(k->dc + row * u, k->kept + 2 * row * u + u, u);
            bml_nn__clear(m->d + row * m->G, m->G);
            bml_nn__clear(m->e + row * m->G, m->G);
        }
    }
}

static void bml_nn__cell_back(const bml_nn__node *n, const bml_nn__cell *k, ptrdiff_t t, int first) {
    const bml_nn__moment m = bml_nn__moment_of(k, t);
    int before = n->spec.kind == BML_NN_GRU && n->spec.reset_before;
    if (k->lengths) {
        bml_nn__keep_ended(k, &m, t);
    }
    if (n->spec.kind == BML_NN_LSTM) {
        bml_nn__lstm_back(k, &m);
    } else if (n->spec.kind == BML_NN_RNN) {
        bml_nn__rnn_back(n, k, &m);
    } else if (before) {
        bml_nn__gru_before_back(k, &m);
    } else {
        bml_nn__gru_back(k, &m);
    }
    if (k->lengths) {
        bml_nn__give_ended(k, &m, t);
    }
    if (first) {
        return;
    }
    ptrdiff_t fed = before ? 2 * m.u : m.G; /* gates fed by h itself */
    bml_nn__product(k->dh, m.u, bml_nn__rows(m.e, m.G), bml_nn__rows(k->rt, m.u), k->b, m.u, fed, 1);
}

/* Gradients of a cell's tensors, from dg, dt of all steps. */
static void bml_nn__cell_grads(const bml_nn *net, bml_nn__lane *lane, int i, const bml_nn__cell *k) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t b = k->b;
    const ptrdiff_t u = k->units;
    const ptrdiff_t G = u * k->gates;
    const ptrdiff_t in = k->in;
    const ptrdiff_t rows = k->steps * b;
    const int tensor = bml_nn__direction(n, k->reverse);
    bml_nn_real *gw = bml_nn__grad(net, lane, i, tensor);
    bml_nn_real *gr = bml_nn__grad(net, lane, i, tensor + 1);
    const bml_nn__mat xt = bml_nn__cols(bml_nn__source(net, lane, i), in);
    const bml_nn__mat ht = bml_nn__cols(k->h + (k->reverse ? b * u : 0), u); /* the state before every step */
    const bml_nn__mat dg = bml_nn__rows(k->dg, G);
    bml_nn__product(gw, G, xt, dg, in, G, rows, 0);
    if (!n->spec.no_bias) {
        bml_nn_real *gb = bml_nn__grad(net, lane, i, tensor + 2);
        bml_nn__column_sums(gb, k->dg, rows, G);
        if (bml_nn__two_rows(&n->spec)) {
            bml_nn__column_sums(gb + G, k->dt, rows, G);
        }
    }
    if (n->spec.kind == BML_NN_GRU && n->spec.reset_before) {
        const bml_nn__mat at = bml_nn__cols(k->aux, u);
        bml_nn__product(gr, G, ht, dg, u, 2 * u, rows, 0);
        bml_nn__product(gr + 2 * u, G, at, bml_nn__from(dg, 0, 2 * u), u, u, rows, 0);
    } else {
        bml_nn__product(gr, G, ht, bml_nn__rows(k->dt, G), u, G, rows, 0);
    }
}

/* dh gains what comes from above at step t. */
static void bml_nn__cell_input(const bml_nn__node *n, const bml_nn__cell *k, const bml_nn_real *d, ptrdiff_t t) {
    const ptrdiff_t u = k->units;
    const bml_nn_real *from = d + (n->spec.sequence ? t * k->b * n->out : 0) + k->reverse * u;
    for (ptrdiff_t row = 0; row < k->b; row++) {
        int padding = n->spec.sequence && bml_nn__ended(k, row, t);
        for (ptrdiff_t j = 0; !padding && j < u; j++) {
            k->dh[row * u + j] += from[row * n->out + j];
        }
    }
}

static void bml_nn__recurrent_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t T = n->in_steps;
    for (int reverse = 0; reverse <= n->spec.bidirectional; reverse++) {
        const bml_nn__cell k = bml_nn__cell_of(net, lane, i, reverse);
        const ptrdiff_t states = (ptrdiff_t)k.b * k.units;
        const ptrdiff_t G = (ptrdiff_t)k.units * k.gates;
        bml_nn__transpose(k.rt, k.r, k.units, G);
        bml_nn__clear(k.dh, states);
        bml_nn__clear(k.dc, states);
        for (ptrdiff_t s = T - 1; s >= 0; s--) { /* s counts steps as the cell made them */
            ptrdiff_t t = reverse ? T - 1 - s : s;
            if (n->spec.sequence || s == T - 1) {
                bml_nn__cell_input(n, &k, lane->d[i], t);
            }
            bml_nn__cell_back(n, &k, t, s == 0);
        }
        if (lane->grad) {
            bml_nn__cell_grads(net, lane, i, &k);
        }
        if (!bml_nn__wants(net, lane, n, 0)) {
            continue;
        }
        const bml_nn__mat wt = bml_nn__cols(k.w, G);
        const int add = reverse || !n->fresh[0];
        bml_nn__product(bml_nn__d_source(net, lane, i), k.in, bml_nn__rows(k.dg, G), wt, T * k.b, k.in, G, add);
    }
}

/* >> convolution and pooling
   Rows of output, chunk by chunk, as products of patches [rows][kernel in] that are gathered in scratch: one scheme for
   any kernel, stride and padding. */

#define BML_NN__CHUNK 512

/* Step of the source at which the window of output row `row` (step b + row in the batch) begins. */
static ptrdiff_t bml_nn__window(const bml_nn__node *n, ptrdiff_t b, ptrdiff_t row) {
    ptrdiff_t stride = n->spec.stride;
    ptrdiff_t reach = (n->steps - 1) * stride + n->spec.kernel;
    ptrdiff_t pad = n->spec.same && reach > n->in_steps ? (reach - n->in_steps) / 2 : 0;
    return row / b * stride - pad;
}

/* patches[count][kernel in] of output rows `start` ...; zeros outside. */
static void bml_nn__gather(bml_nn_real *patch, const bml_nn__node *n, const bml_nn_real *x, ptrdiff_t b,
                           ptrdiff_t start, ptrdiff_t count) {
    ptrdiff_t in = n->in;
    for (ptrdiff_t row = start; row < start + count; row++) {
        ptrdiff_t t = bml_nn__window(n, b, row);
        for (int k = 0; k < n->spec.kernel; k++) {
            if (t < 0 || t >= n->in_steps) {
                bml_nn__clear(patch, in);
            } else {
                bml_nn__copy(patch, x + (t * b + row % b) * in, in);
            }
            patch += in;
            t++;
        }
    }
}

/* The other way: adds patches to dx. */
static void bml_nn__scatter(bml_nn_real *dx, const bml_nn__node *n, const bml_nn_real *patch, ptrdiff_t b,
                            ptrdiff_t start, ptrdiff_t count) {
    ptrdiff_t in = n->in;
    for (ptrdiff_t row = start; row < start + count; row++) {
        ptrdiff_t t = bml_nn__window(n, b, row);
        for (int k = 0; k < n->spec.kernel; k++) {
            bml_nn_real *to = dx + (t * b + row % b) * in;
            int inside = t >= 0 && t < n->in_steps;
            for (ptrdiff_t j = 0; inside && j < in; j++) {
                to[j] += patch[j];
            }
            patch += in;
            t++;
        }
    }
}

static ptrdiff_t bml_nn__chunk(ptrdiff_t left) {
    return left < BML_NN__CHUNK ? left : BML_NN__CHUNK;
}

static void bml_nn__conv_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t rows = bml_nn__rows_of(n, lane);
    const ptrdiff_t out = n->out;
    const ptrdiff_t width = (ptrdiff_t)n->spec.kernel * n->in;
    const bml_nn__mat patches = bml_nn__rows(lane->scratch, width);
    const bml_nn__mat w = bml_nn__rows(bml_nn__param(net, i, 0), out);
    for (ptrdiff_t start = 0; start < rows; start += BML_NN__CHUNK) {
        ptrdiff_t count = bml_nn__chunk(rows - start);
        bml_nn_real *y = lane->out[i] + start * out;
        bml_nn_real *before = lane->cache[i] + (n->cache ? start * out : 0);
        bml_nn__gather(lane->scratch, n, bml_nn__source(net, lane, i), lane->b, start, count);
        bml_nn__product(y, out, patches, w, count, out, width, 0);
        bml_nn__activate(n, y, before, bml_nn__bias(net, i), count);
    }
}

static void bml_nn__conv_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t rows = bml_nn__rows_of(n, lane);
    const ptrdiff_t b = lane->b;
    const ptrdiff_t out = n->out;
    const ptrdiff_t width = (ptrdiff_t)n->spec.kernel * n->in;
    const int wants = bml_nn__wants(net, lane, n, 0);
    const bml_nn__mat wt = bml_nn__cols(bml_nn__param(net, i, 0), out);
    bml_nn_real *patches = lane->scratch;
    bml_nn_real *dx = bml_nn__d_source(net, lane, i);
    bml_nn__deactivate(n, lane->d[i], lane->out[i], lane->cache[i], rows);
    bml_nn__bias_grad(net, lane, i, rows);
    if (wants && n->fresh[0]) {
        bml_nn__clear(dx, n->in_steps * b * n->in);
    }
    for (ptrdiff_t start = 0; start < rows; start += BML_NN__CHUNK) {
        ptrdiff_t count = bml_nn__chunk(rows - start);
        const bml_nn__mat d = bml_nn__rows(lane->d[i] + start * out, out);
        if (lane->grad) {
            bml_nn_real *gw = bml_nn__grad(net, lane, i, 0);
            bml_nn__gather(patches, n, bml_nn__source(net, lane, i), b, start, count);
            bml_nn__product(gw, out, bml_nn__cols(patches, width), d, width, out, count, start > 0);
        }
        if (!wants) {
            continue;
        }
        bml_nn__product(patches, width, d, wt, count, width, out, 0);
        bml_nn__scatter(dx, n, patches, b, start, count);
    }
}

static void bml_nn__pool_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t step = (ptrdiff_t)lane->b * n->in;
    for (ptrdiff_t t = 0; t < n->steps; t++) {
        const bml_nn_real *x = bml_nn__source(net, lane, i) + t * n->spec.stride * step;
        bml_nn_real *BML_NN__RESTRICT y = lane->out[i] + t * step;
        bml_nn__copy(y, x, step);
        for (int k = 1; k < n->spec.kernel; k++) {
            for (ptrdiff_t j = 0; j < step; j++) { /* a NaN wins, so that it is seen */
                bml_nn_real v = x[k * step + j];
                y[j] = v > y[j] || v != v ? v : y[j];
            }
        }
    }
}

/* To the first of equal maxima. */
static void bml_nn__pool_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t step = (ptrdiff_t)lane->b * n->in;
    if (!bml_nn__wants(net, lane, n, 0)) {
        return;
    }
    if (n->fresh[0]) {
        bml_nn__clear(bml_nn__d_source(net, lane, i), n->in_steps * step);
    }
    for (ptrdiff_t t = 0; t < n->steps; t++) {
        const ptrdiff_t at = t * n->spec.stride * step;
        const bml_nn_real *x = bml_nn__source(net, lane, i) + at;
        const bml_nn_real *y = lane->out[i] + t * step;
        bml_nn_real *dx = bml_nn__d_source(net, lane, i) + at;
        bml_nn_real *d = lane->d[i] + t * step;
        for (int k = 0; k < n->spec.kernel; k++) {
            for (ptrdiff_t j = 0; j < step; j++) {
                if (x[k * step + j] != y[j]) {
                    continue;
                }
                dx[k * step + j] += d[j];
                d[j] = 0;
            }
        }
    }
}

/* >> normalisation
   Batch norm over rows and steps, layer norm over features; sums over a batch in double. */

/* Moments of up to 32 columns at a time. */
typedef struct bml_nn__moments {
    double mean[32];
    double square[32]; /* sum of squares about it */
} bml_nn__moments;

static void bml_nn__find_moments(bml_nn__moments *m, const bml_nn_real *x, ptrdiff_t rows, ptrdiff_t width,
                                 ptrdiff_t n) {
    for (ptrdiff_t j = 0; j < n; j++) {
        m->mean[j] = 0;
        m->square[j] = 0;
    }
    for (ptrdiff_t i = 0; i < rows; i++) {
        for (ptrdiff_t j = 0; j < n; j++) {
            m->mean[j] += (double)x[i * width + j];
        }
    }
    for (ptrdiff_t j = 0; j < n; j++) {
        m->mean[j] /= (double)rows;
    }
    for (ptrdiff_t i = 0; i < rows; i++) {
        for (ptrdiff_t j = 0; j < n; j++) {
            double away = (double)x[i * width + j] - m->mean[j];
            m->square[j] += away * away;
        }
    }
}

static bml_nn_real bml_nn__moved(bml_nn_real old, double now, double momentum) {
    return (bml_nn_real)((1 - momentum) * (double)old + momentum * now);
}

/* mean[w] and 1/sd[w] of x[rows][w]; running means and variances [2][w] from the old ones. */
static void bml_nn__batch_moments(const bml_nn__node *n, bml_nn_real *mean, bml_nn_real *running,
                                  const bml_nn_real *old, const bml_nn_real *x, ptrdiff_t rows) {
    const double momentum = n->spec.momentum;
    const ptrdiff_t w = n->out;
    bml_nn_real *inverse = mean + w;
    bml_nn__moments m;
    for (ptrdiff_t from = 0; from < w; from += 32) {
        ptrdiff_t count = w - from < 32 ? w - from : 32;
        bml_nn__find_moments(&m, x + from, rows, w, count);
        for (ptrdiff_t j = 0; j < count; j++) {
            double v = m.square[j] / (double)rows;
            double unbiased = m.square[j] / (double)(rows > 1 ? rows - 1 : 1);
            ptrdiff_t k = from + j;
            mean[k] = (bml_nn_real)m.mean[j];
            inverse[k] = (bml_nn_real)(1 / sqrt(v + n->spec.epsilon));
            running[k] = bml_nn__moved(old[k], m.mean[j], momentum);
            running[w + k] = bml_nn__moved(old[w + k], unbiased, momentum);
        }
    }
}

/* cache, once: mean and 1/sd. */
static void bml_nn__batch_norm_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t rows = bml_nn__rows_of(n, lane);
    const ptrdiff_t w = n->out;
    const ptrdiff_t at = net->tensors[n->tensor + 2].offset;
    const bml_nn_real *x = bml_nn__source(net, lane, i);
    const bml_nn_real *gamma = bml_nn__param(net, i, 0);
    const bml_nn_real *beta = bml_nn__param(net, i, 1);
    const bml_nn_real *known = net->running + at;
    bml_nn_real *y = lane->out[i];
    bml_nn_real *mean = lane->cache[i];
    bml_nn_real *inverse = mean + w;
    if (lane->mode == BML_NN__TRAIN) {
        bml_nn__batch_moments(n, mean, lane->running + at, known, x, rows);
    }
    for (ptrdiff_t j = 0; lane->mode != BML_NN__TRAIN && j < w; j++) {
        mean[j] = known[j];
        inverse[j] = (bml_nn_real)(1 / sqrt((double)known[w + j] + n->spec.epsilon));
    }
    for (ptrdiff_t row = 0; row < rows; row++) {
        for (ptrdiff_t j = 0; j < w; j++) {
            ptrdiff_t k = row * w + j;
            y[k] = (x[k] - mean[j]) * inverse[j] * gamma[j] + beta[j];
        }
    }
}

static void bml_nn__batch_norm_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t rows = bml_nn__rows_of(n, lane);
    const ptrdiff_t w = n->out;
    const bml_nn_real *x = bml_nn__source(net, lane, i);
    const bml_nn_real *gamma = bml_nn__param(net, i, 0);
    const bml_nn_real *mean = lane->cache[i];
    const bml_nn_real *inverse = mean + w;
    const bml_nn_real *d = lane->d[i];
    bml_nn_real *dx = bml_nn__d_source(net, lane, i);
    bml_nn_real *g_gamma = lane->scratch;
    bml_nn_real *g_beta = g_gamma + w;
    const int moving = lane->mode == BML_NN__TRAIN; /* mean and sd depend on x */
    bml_nn__clear(g_gamma, 2 * w);
    for (ptrdiff_t row = 0; row < rows; row++) {
        for (ptrdiff_t j = 0; j < w; j++) {
            ptrdiff_t k = row * w + j;
            g_gamma[j] += d[k] * (x[k] - mean[j]) * inverse[j];
            g_beta[j] += d[k];
        }
    }
    if (lane->grad) {
        bml_nn__copy(bml_nn__grad(net, lane, i, 0), g_gamma, w);
        bml_nn__copy(bml_nn__grad(net, lane, i, 1), g_beta, w);
    }
    if (!bml_nn__wants(net, lane, n, 0)) {
        return;
    }
    for (ptrdiff_t row = 0; row < rows; row++) {
        for (ptrdiff_t j = 0; j < w; j++) {
            ptrdiff_t k = row * w + j;
            bml_nn_real hat = (x[k] - mean[j]) * inverse[j];
            bml_nn_real to = d[k];
            if (moving) {
                to -= (g_beta[j] + hat * g_gamma[j]) / (bml_nn_real)rows;
            }
            to *= gamma[j] * inverse[j];
            dx[k] = to + (n->fresh[0] ? 0 : dx[k]);
        }
    }
}

/* cache, per row: mean and 1/sd of each row and step. */
static void bml_nn__layer_norm_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t rows = bml_nn__rows_of(n, lane);
    const ptrdiff_t w = n->out;
    const bml_nn_real *gamma = bml_nn__param(net, i, 0);
    const bml_nn_real *beta = bml_nn__param(net, i, 1);
    for (ptrdiff_t row = 0; row < rows; row++) {
        const bml_nn_real *x = bml_nn__source(net, lane, i) + row * w;
        bml_nn_real *y = lane->out[i] + row * w;
        bml_nn_real *kept = lane->cache[i] + 2 * row;
        bml_nn_real mean = 0;
        bml_nn_real v = 0;
        for (ptrdiff_t j = 0; j < w; j++) {
            mean += x[j];
        }
        mean /= (bml_nn_real)w;
        for (ptrdiff_t j = 0; j < w; j++) {
            v += (x[j] - mean) * (x[j] - mean);
        }
        double variance = (double)v / (double)w;
        bml_nn_real inverse = (bml_nn_real)(1 / sqrt(variance + n->spec.epsilon));
        kept[0] = mean;
        kept[1] = inverse;
        for (ptrdiff_t j = 0; j < w; j++) {
            y[j] = (x[j] - mean) * inverse * gamma[j] + beta[j];
        }
    }
}

static void bml_nn__layer_norm_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t rows = bml_nn__rows_of(n, lane);
    const ptrdiff_t w = n->out;
    const bml_nn_real *gamma = bml_nn__param(net, i, 0);
    bml_nn_real *g_gamma = lane->scratch;
    bml_nn_real *g_beta = g_gamma + w;
    const int wants = bml_nn__wants(net, lane, n, 0);
    bml_nn__clear(g_gamma, 2 * w);
    for (ptrdiff_t row = 0; row < rows; row++) {
        const bml_nn_real *x = bml_nn__source(net, lane, i) + row * w;
        const bml_nn_real *d = lane->d[i] + row * w;
        bml_nn_real *dx = bml_nn__d_source(net, lane, i) + row * w;
        const bml_nn_real mean = lane->cache[i][2 * row];
        const bml_nn_real inverse = lane->cache[i][2 * row + 1];
        bml_nn_real a = 0;
        bml_nn_real c = 0;
        for (ptrdiff_t j = 0; j < w; j++) {
            bml_nn_real hat = (x[j] - mean) * inverse;
            g_gamma[j] += d[j] * hat;
            g_beta[j] += d[j];
            a += d[j] * gamma[j];
            c += d[j] * gamma[j] * hat;
        }
        for (ptrdiff_t j = 0; wants && j < w; j++) {
            bml_nn_real hat = (x[j] - mean) * inverse;
            bml_nn_real to = (d[j] * gamma[j] - (a + hat * c) / (bml_nn_real)w) * inverse;
            dx[j] = to + (n->fresh[0] ? 0 : dx[j]);
        }
    }
    if (!lane->grad) {
        return;
    }
    bml_nn__copy(bml_nn__grad(net, lane, i, 0), g_gamma, w);
    bml_nn__copy(bml_nn__grad(net, lane, i, 1), g_beta, w);
}

/* >> dropout
   Random bits of LOT blocks are made side by side, in vector registers; they are those that bml_nn__bits gives: the
   same for a row whatever rows stand beside it. */

enum { BML_NN__WORDS = 4 * BML_NN__LOT };

/* factor[WORDS], 0 or 1/(1-rate), of blocks `block` ... */
static void bml_nn__dropout_factors(bml_nn_real *factor, const bml_nn_layer *l, const bml_nn__lane *lane, int node,
                                    ptrdiff_t row, ptrdiff_t block) {
    const bml_nn_real keep = (bml_nn_real)(1 / (1 - l->rate));
    const uint32_t limit = (uint32_t)(l->rate * 4294967295.0);
    const int none = !(l->rate > 0);
    uint32_t bits[4][BML_NN__LOT];
    bml_nn__bits_lot(bits, lane, node, row, block);
    for (int j = 0; j < BML_NN__LOT; j++) {
        for (int k = 0; k < 4; k++) {
            factor[4 * j + k] = bits[k][j] <= limit && !none ? 0 : keep;
        }
    }
}

/* Factors of one row: m[(t b + row) w + j] for steps t and features j. */
static void bml_nn__dropout_row(bml_nn_real *m, const bml_nn__node *n, const bml_nn__lane *lane, int i, ptrdiff_t row) {
    const ptrdiff_t w = n->out;
    bml_nn_real factor[BML_NN__WORDS];
    ptrdiff_t left = 0;
    ptrdiff_t block = 0;
    for (ptrdiff_t t = 0; t < n->steps; t++) {
        bml_nn_real *to = m + (t * lane->b + row) * w;
        ptrdiff_t j = 0;
        while (j < w) {
            if (left == 0) {
                bml_nn__dropout_factors(factor, &n->spec, lane, i, lane->first + row, block);
                block += BML_NN__LOT;
                left = BML_NN__WORDS;
            }
            ptrdiff_t run = w - j < left ? w - j : left;
            bml_nn__copy(to + j, factor + BML_NN__WORDS - left, run);
            j += run;
            left -= run;
        }
    }
}

/* cache: the factor of every number. */
static void bml_nn__dropout_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t cells = bml_nn__cells(n, lane);
    const bml_nn_real *x = bml_nn__source(net, lane, i);
    bml_nn_real *y = lane->out[i];
    bml_nn_real *m = lane->cache[i];
    if (lane->mode == BML_NN__PLAIN) {
        for (ptrdiff_t j = 0; j < cells; j++) {
            m[j] = 1;
        }
    } else {
        for (ptrdiff_t row = 0; row < lane->b; row++) {
            bml_nn__dropout_row(m, n, lane, i, row);
        }
    }
    for (ptrdiff_t j = 0; j < cells; j++) {
        y[j] = x[j] * m[j];
    }
}

static void bml_nn__dropout_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t cells = bml_nn__cells(n, lane);
    const bml_nn_real *d = lane->d[i];
    const bml_nn_real *m = lane->cache[i];
    bml_nn_real *dx = bml_nn__d_source(net, lane, i);
    if (!bml_nn__wants(net, lane, n, 0)) {
        return;
    }
    for (ptrdiff_t j = 0; j < cells; j++) {
        dx[j] = d[j] * m[j] + (n->fresh[0] ? 0 : dx[j]);
    }
}

/* >> shapes
   Flatten, reshape, concat, add. Where a backward pass is not the first to write the gradient of its source, it
   adds. */

/* dx[n] = or += d[n] */
static void bml_nn__hand_back(bml_nn_real *BML_NN__RESTRICT dx, const bml_nn_real *BML_NN__RESTRICT d, ptrdiff_t n,
                              int fresh) {
    if (fresh) {
        bml_nn__copy(dx, d, n);
        return;
    }
    for (ptrdiff_t j = 0; j < n; j++) {
        dx[j] += d[j];
    }
}

/* A row's numbers stay in order, step by step; only their places among the rows change. back = 1: the gradient of what
   was taken in. */
static void bml_nn__reshape(const bml_nn *net, bml_nn__lane *lane, int i, int back) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t b = lane->b;
    const ptrdiff_t in = n->in;
    const ptrdiff_t out = n->out;
    const ptrdiff_t all = n->in_steps * in;
    for (ptrdiff_t row = 0; row < b; row++) {
        ptrdiff_t j = 0;
        while (j < all) {
            ptrdiff_t from = (j / in * b + row) * in + j % in;
            ptrdiff_t to = (j / out * b + row) * out + j % out;
            ptrdiff_t in_left = in - j % in;
            ptrdiff_t out_left = out - j % out;
            ptrdiff_t run = in_left < out_left ? in_left : out_left;
            if (back) {
                bml_nn__hand_back(bml_nn__d_source(net, lane, i) + from, lane->d[i] + to, run, n->fresh[0]);
            } else {
                bml_nn__copy(lane->out[i] + to, bml_nn__source(net, lane, i) + from, run);
            }
            j += run;
        }
    }
}

static void bml_nn__reshape_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    bml_nn__reshape(net, lane, i, 0);
}

static void bml_nn__reshape_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    if (bml_nn__wants(net, lane, &net->nodes[i], 0)) {
        bml_nn__reshape(net, lane, i, 1);
    }
}

static void bml_nn__concat_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t rows = bml_nn__rows_of(n, lane);
    ptrdiff_t at = 0;
    for (int k = 0; k < n->n_from; k++) {
        const ptrdiff_t w = net->nodes[n->from[k]].out;
        const bml_nn_real *from = lane->out[n->from[k]];
        bml_nn_real *to = lane->out[i] + at;
        for (ptrdiff_t row = 0; row < rows; row++) {
            bml_nn__copy(to + row * n->out, from + row * w, w);
        }
        at += w;
    }
}

static void bml_nn__concat_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t rows = bml_nn__rows_of(n, lane);
    ptrdiff_t at = 0;
    for (int k = 0; k < n->n_from; k++) {
        const ptrdiff_t w = net->nodes[n->from[k]].out;
        const bml_nn_real *d = lane->d[i] + at;
        bml_nn_real *dx = lane->d[n->from[k]];
        at += w;
        if (!bml_nn__wants(net, lane, n, k)) {
            continue;
        }
        for (ptrdiff_t row = 0; row < rows; row++) {
            bml_nn__hand_back(dx + row * w, d + row * n->out, w, n->fresh[k]);
        }
    }
}

static void bml_nn__add_forward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t cells = bml_nn__cells(n, lane);
    bml_nn_real *BML_NN__RESTRICT out = lane->out[i];
    bml_nn__copy(out, bml_nn__source(net, lane, i), cells);
    for (int k = 1; k < n->n_from; k++) {
        const bml_nn_real *BML_NN__RESTRICT in = lane->out[n->from[k]];
        for (ptrdiff_t j = 0; j < cells; j++) {
            out[j] += in[j];
        }
    }
}

static void bml_nn__add_backward(const bml_nn *net, bml_nn__lane *lane, int i) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t cells = bml_nn__cells(n, lane);
    for (int k = 0; k < n->n_from; k++) {
        if (bml_nn__wants(net, lane, n, k)) {
            bml_nn__hand_back(lane->d[n->from[k]], lane->d[i], cells, n->fresh[k]);
        }
    }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

/* >> planning
   Shapes, tensors and memory of each layer. Its numbers are checked by a table of rules first; each plan then sets
   `steps`, `out` and memory from in_steps and in. Layers take one source unless they are CONCAT or ADD. */

#define BML_NN__MOST_UNITS 0x7FFFFFFF
#define BML_NN__EPSILON 1e-5 /* of norms, as PyTorch has them */
#define BML_NN__MOMENTUM 0.1
#define BML_NN__MOST_STATES 0x0FFFFFFF /* both directions and four gates still fit an int */

typedef struct bml_nn__rule { /* of one member of a struct */
    const char *name;
    size_t offset;
    int is_int;
    int open; /* 1: hi itself is out of range */
    double lo;
    double hi;
    double zero;    /* what a member that is 0 becomes */
    unsigned kinds; /* layers: bits of the kinds that have it */
} bml_nn__rule;

/* Checks one member and puts the default in; text says what it is of. */
static int bml_nn__apply(void *object, const bml_nn__rule *rule, char *message, int status, const char *text) {
    char *at = (char *)object + rule->offset;
    int whole = 0;
    double value;
    if (rule->is_int) {
        memcpy(&whole, at, sizeof whole);
        value = whole;
    } else {
        memcpy(&value, at, sizeof value);
    }
    if (value == 0 && rule->zero > 0) {
        value = rule->zero;
        whole = (int)value;
        if (rule->is_int) {
            memcpy(at, &whole, sizeof whole);
        } else {
            memcpy(at, &value, sizeof value);
        }
    }
    int below = rule->open ? value < rule->hi : value <= rule->hi;
    if (value >= rule->lo && below) {
        return BML_NN_OK;
    }
    const char *required = value == 0 ? " required," : "";
    return bml_nn__fail(message, status, "%s%s = %.10g:%s must be in [%.10g, %.10g%c", text, rule->name, value,
                        required, rule->lo, rule->hi, rule->open ? ')' : ']');
}

#define BML_NN__BIT(kind) (1u << BML_NN_##kind)
#define BML_NN__SHAPED (BML_NN__BIT(INPUT) | BML_NN__BIT(RESHAPE))
#define BML_NN__ACTIVE (BML_NN__BIT(DENSE) | BML_NN__BIT(BAYES) | BML_NN__BIT(CONV))
#define BML_NN__RECURRENT (BML_NN__BIT(GRU) | BML_NN__BIT(LSTM) | BML_NN__BIT(RNN))
#define BML_NN__INT_RULE(member, lo, hi, zero, kinds) \
    { #member, offsetof(bml_nn_layer, member), 1, 0, lo, hi, zero, kinds }
#define BML_NN__REAL_RULE(member, open, lo, hi, zero, kinds) \
    { #member, offsetof(bml_nn_layer, member), 0, open, lo, hi, zero, kinds }

static const bml_nn__rule bml_nn__layer_rules[] = {
    BML_NN__INT_RULE(features, 1, BML_NN__MOST_UNITS, 0, BML_NN__SHAPED),
    BML_NN__INT_RULE(steps, 0, BML_NN__MOST_UNITS, 0, BML_NN__SHAPED),
    BML_NN__INT_RULE(units, 1, BML_NN__MOST_UNITS, 0, BML_NN__ACTIVE),
    BML_NN__INT_RULE(units, 1, BML_NN__MOST_STATES, 0, BML_NN__RECURRENT),
    BML_NN__INT_RULE(activation, 0, BML_NN_N_ACTIVATIONS - 1, 0, BML_NN__ACTIVE),
    BML_NN__INT_RULE(activation, 0, BML_NN_TANH, BML_NN_TANH, BML_NN__BIT(RNN)),
    BML_NN__INT_RULE(activation, 0, 0, 0, BML_NN__BIT(GRU) | BML_NN__BIT(LSTM)),
    BML_NN__REAL_RULE(slope, 1, 0, 1, 0.01, BML_NN__ACTIVE),
    BML_NN__INT_RULE(kernel, 1, BML_NN__MOST_UNITS, 0, BML_NN__BIT(CONV)),
    BML_NN__INT_RULE(stride, 1, BML_NN__MOST_UNITS, 1, BML_NN__BIT(CONV)),
    BML_NN__INT_RULE(kernel, 1, BML_NN__MOST_UNITS, 2, BML_NN__BIT(POOL)),
    BML_NN__INT_RULE(stride, 0, BML_NN__MOST_UNITS, 0, BML_NN__BIT(POOL)),
    BML_NN__INT_RULE(init, 0, BML_NN_HE, 0, BML_NN__BIT(DENSE) | BML_NN__BIT(CONV)),
    BML_NN__REAL_RULE(rate, 1, 0, 1, 0, BML_NN__BIT(DROPOUT)),
    BML_NN__REAL_RULE(prior_sd, 0, 0, DBL_MAX, 1, BML_NN__BIT(BAYES)),
    BML_NN__REAL_RULE(epsilon, 0, 0, 1, BML_NN__EPSILON, BML_NN__BIT(BATCH_NORM) | BML_NN__BIT(LAYER_NORM)),
    BML_NN__REAL_RULE(momentum, 0, 0, 1, BML_NN__MOMENTUM, BML_NN__BIT(BATCH_NORM)),
    BML_NN__INT_RULE(no_bias, 0, 1, 0, BML_NN__BIT(DENSE) | BML_NN__BIT(CONV) | BML_NN__RECURRENT),
    BML_NN__INT_RULE(two_biases, 0, 1, 0, BML_NN__BIT(LSTM) | BML_NN__BIT(RNN)),
};

static int bml_nn__bad(bml_nn *net, int i, const char *why) {
    return bml_nn__fail(net->message, BML_NN_BAD_LAYER, "layer %d (%s): %s", i, net->nodes[i].name, why);
}

static int bml_nn__check_layer(bml_nn *net, int i) {
    bml_nn_layer *l = &net->nodes[i].spec;
    char text[64];
    snprintf(text, sizeof text, "layer %d (%s): ", i, net->nodes[i].name);
    for (size_t k = 0; k < sizeof bml_nn__layer_rules / sizeof *bml_nn__layer_rules; k++) {
        const bml_nn__rule *rule = &bml_nn__layer_rules[k];
        if (!(rule->kinds >> l->kind & 1)) {
            continue;
        }
        int status = bml_nn__apply(l, rule, net->message, BML_NN_BAD_LAYER, text);
        if (status) return status;
    }
    return BML_NN_OK;
}

/* Declares the next tensor of layer i: how it starts, its shape (0: no such dimension). 0 if sizes overflow. */
static int bml_nn__declare(bml_nn *net, int i, const char *what, int start, ptrdiff_t a, ptrdiff_t b, ptrdiff_t c) {
    bml_nn__tensor *t = &net->tensors[net->n_tensors++];
    ptrdiff_t *total = start >= BML_NN__MEAN ? &net->n_running : &net->n_params;
    t->node = i;
    t->what = what;
    t->start = start;
    t->running = start >= BML_NN__MEAN;
    t->rank = 1 + (b > 0) + (c > 0);
    t->shape[0] = a;
    t->shape[1] = b;
    t->shape[2] = c;
    t->fan_in = (double)a * (c ? (double)b : 1);
    t->fan_out = c ? (double)a * (double)c : (double)b;
    t->offset = *total;
    if (!bml_nn__mul(&t->count, a, b ? b : 1)) {
        return 0;
    }
    if (!bml_nn__mul(&t->count, t->count, c ? c : 1)) {
        return 0;
    }
    net->nodes[i].n_tensors++;
    return bml_nn__add_mul(total, t->count, 1) && *total <= BML_NN__MOST / 64;
}

static int bml_nn__fits(int ok) {
    return ok ? BML_NN_OK : BML_NN_TOO_LARGE;
}

/* Whether so many reals can be asked for: looked at before sizes are multiplied as whole numbers. */
static int bml_nn__fit(double reals) {
    return reals < (double)(BML_NN__MOST / 64);
}

static int bml_nn__plan_input(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    n->is_sequence = n->spec.steps > 0;
    n->steps = n->is_sequence ? n->spec.steps : 1;
    n->out = n->spec.features;
    n->input_offset = net->n_in;
    return bml_nn__fits(bml_nn__add_mul(&net->n_in, n->steps, n->out));
}

static int bml_nn__plan_activation(bml_nn__node *n) {
    if (!bml_nn__fit((double)n->steps * n->out)) {
        return 0;
    }
    const ptrdiff_t cells = (ptrdiff_t)n->steps * n->out;
    n->cache = bml_nn__activations[n->spec.activation].needs_x ? cells : 0;
    return 1;
}

static int bml_nn__plan_dense(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    n->out = n->spec.units;
    int ok = bml_nn__plan_activation(n);
    ok = ok && bml_nn__declare(net, i, "kernel", BML_NN__KERNEL, n->in, n->out, 0);
    ok = ok && (n->spec.no_bias || bml_nn__declare(net, i, "bias", BML_NN__ZERO, n->out, 0, 0));
    return bml_nn__fits(ok);
}

static int bml_nn__plan_bayes(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    int status = bml_nn__plan_dense(net, i);
    if (status) return status;
    const ptrdiff_t in = n->in;
    const ptrdiff_t out = n->out;
    if (!bml_nn__fit(2.0 * n->steps * ((double)in + (double)out))) {
        return BML_NN_TOO_LARGE;
    }
    n->cache = n->steps * (in + 1 + 2 * out);
    n->scratch = n->steps * (in + out);
    if (!bml_nn__mul(&n->cache_fixed, 2 * (in + 1), out)) {
        return BML_NN_TOO_LARGE;
    }
    int ok = bml_nn__declare(net, i, "kernel_rho", BML_NN__RHO, in, out, 0);
    return bml_nn__fits(ok && bml_nn__declare(net, i, "bias_rho", BML_NN__RHO, out, 0, 0));
}

static int bml_nn__plan_direction(bml_nn *net, int i, int reverse) {
    static const char *const names[2][3] = {{"kernel", "recurrent", "bias"},
                                            {"kernel_reverse", "recurrent_reverse", "bias_reverse"}};
    const bml_nn__node *n = &net->nodes[i];
    const bml_nn_layer *l = &n->spec;
    const ptrdiff_t G = (ptrdiff_t)l->units * bml_nn__gates(l);
    const char *const *name = names[reverse];
    int start = l->kind == BML_NN_LSTM ? BML_NN__FORGET : BML_NN__ZERO;
    if (!bml_nn__declare(net, i, name[0], BML_NN__KERNEL, n->in, G, 0)) {
        return 0;
    }
    if (!bml_nn__declare(net, i, name[1], BML_NN__ORTHOGONAL, l->units, G, 0)) {
        return 0;
    }
    if (l->no_bias) {
        return 1;
    }
    if (bml_nn__two_rows(l)) {
        return bml_nn__declare(net, i, name[2], start, 2, G, 0);
    }
    return bml_nn__declare(net, i, name[2], start, G, 0, 0);
}

/* Reals of a cell's cache: the gates, the states (one more than steps), aux and (LSTM) c. */
static void bml_nn__plan_cell(bml_nn__node *n, int directions) {
    static const int per_step[] = {2, 3, 1}; /* GRU, LSTM, RNN */
    static const int once[] = {1, 2, 1};
    const bml_nn_layer *l = &n->spec;
    const int kind = l->kind - BML_NN_GRU;
    const ptrdiff_t T = n->in_steps;
    const ptrdiff_t u = l->units;
    const ptrdiff_t G = u * bml_nn__gates(l);
    n->cache = directions * (T * (G + u * per_step[kind]) + u * once[kind]);
    n->dcache = directions * T * G * (bml_nn__two_sided(l) ? 2 : 1);
    n->scratch = G + 2 * u + (n->lengths < 0 ? 0 : 2 * u);
    n->scratch_fixed = G * u + 2 * G;
}

static int bml_nn__plan_recurrent(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    bml_nn_layer *l = &n->spec;
    if (!n->is_sequence) {
        return bml_nn__bad(net, i, "takes a sequence, and its source is a vector");
    }
    if (l->kind == BML_NN_RNN && l->activation == BML_NN_LEAKY_RELU) {
        return bml_nn__bad(net, i, "activation: an RNN has tanh or ReLU");
    }
    if (l->no_bias && l->two_biases) {
        return bml_nn__bad(net, i, "no_bias and two_biases");
    }
    l->bidirectional = l->bidirectional != 0;
    l->sequence = l->sequence != 0;
    l->reset_before = l->kind == BML_NN_GRU && l->reset_before;
    int directions = 1 + l->bidirectional;
    n->out = directions * l->units;
    n->is_sequence = l->sequence;
    n->steps = l->sequence ? n->in_steps : 1;
    if (!bml_nn__fit(16.0 * l->units * ((double)l->units + n->in_steps))) {
        return BML_NN_TOO_LARGE;
    }
    bml_nn__plan_cell(n, directions);
    for (int reverse = 0; reverse < directions; reverse++) {
        if (!bml_nn__plan_direction(net, i, reverse)) {
            return BML_NN_TOO_LARGE;
        }
    }
    return BML_NN_OK;
}

static int bml_nn__plan_conv(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    const int stride = n->spec.stride;
    const int kernel = n->spec.kernel;
    if (!n->is_sequence) {
        return bml_nn__bad(net, i, "takes a sequence, and its source is a vector");
    }
    if (!n->spec.same && kernel > n->in_steps) {
        return bml_nn__bad(net, i, "its kernel is longer than the sequence");
    }
    n->steps = (n->in_steps - (n->spec.same ? 1 : kernel)) / stride + 1;
    n->out = n->spec.units;
    ptrdiff_t width;
    int ok = bml_nn__plan_activation(n) && bml_nn__mul(&width, kernel, n->in);
    ok = ok && width <= 0x7FFFFFFF / BML_NN__CHUNK;
    if (!ok) {
        return BML_NN_TOO_LARGE;
    }
    n->scratch_fixed = width * BML_NN__CHUNK;
    ok = bml_nn__declare(net, i, "kernel", BML_NN__KERNEL, kernel, n->in, n->out);
    ok = ok && (n->spec.no_bias || bml_nn__declare(net, i, "bias", BML_NN__ZERO, n->out, 0, 0));
    return bml_nn__fits(ok);
}

static int bml_nn__plan_pool(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    if (!n->is_sequence) {
        return bml_nn__bad(net, i, "takes a sequence, and its source is a vector");
    }
    if (n->spec.stride == 0) {
        n->spec.stride = n->spec.kernel;
    }
    if (n->spec.kernel > n->in_steps) {
        return bml_nn__bad(net, i, "its window is longer than the sequence");
    }
    n->steps = (n->in_steps - n->spec.kernel) / n->spec.stride + 1;
    return BML_NN_OK;
}

static int bml_nn__plan_norm(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t w = n->out;
    n->scratch_fixed = 2 * w;
    int ok = bml_nn__declare(net, i, "gamma", BML_NN__ONE, w, 0, 0);
    ok = ok && bml_nn__declare(net, i, "beta", BML_NN__ZERO, w, 0, 0);
    if (n->spec.kind == BML_NN_LAYER_NORM) {
        n->cache = 2 * (ptrdiff_t)n->steps;
        return bml_nn__fits(ok);
    }
    n->cache_fixed = 2 * w;
    ok = ok && bml_nn__declare(net, i, "mean", BML_NN__MEAN, w, 0, 0);
    return bml_nn__fits(ok && bml_nn__declare(net, i, "variance", BML_NN__VARIANCE, w, 0, 0));
}

static int bml_nn__plan_dropout(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    if (!bml_nn__fit((double)n->steps * n->out)) {
        return BML_NN_TOO_LARGE;
    }
    n->cache = (ptrdiff_t)n->steps * n->out;
    return BML_NN_OK;
}

static int bml_nn__plan_reshape(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    if (!bml_nn__fit((double)n->in_steps * n->in)) {
        return BML_NN_TOO_LARGE;
    }
    const ptrdiff_t have = (ptrdiff_t)n->in_steps * n->in;
    if (n->spec.kind == BML_NN_FLATTEN) {
        if (have > 0x7FFFFFFF) {
            return BML_NN_TOO_LARGE;
        }
        n->steps = 1;
        n->out = (int)have;
        n->is_sequence = 0;
        return BML_NN_OK;
    }
    n->is_sequence = n->spec.steps > 0;
    n->steps = n->is_sequence ? n->spec.steps : 1;
    n->out = n->spec.features;
    ptrdiff_t want;
    if (!bml_nn__mul(&want, n->steps, n->out) || want != have) {
        return bml_nn__bad(net, i, "another number of values than its source has");
    }
    return BML_NN_OK;
}

static int bml_nn__plan_concat(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    if (n->n_from < 2) {
        return bml_nn__bad(net, i, "needs two or more layers in .from");
    }
    n->out = 0;
    for (int k = 0; k < n->n_from; k++) {
        const bml_nn__node *s = &net->nodes[n->from[k]];
        if (s->steps != n->steps || s->is_sequence != n->is_sequence) {
            return bml_nn__bad(net, i, "its sources differ in steps, or one is a vector and one a sequence");
        }
        if (s->out > 0x7FFFFFFF - n->out) {
            return BML_NN_TOO_LARGE;
        }
        n->out += s->out;
    }
    return BML_NN_OK;
}

static int bml_nn__plan_add(bml_nn *net, int i) {
    bml_nn__node *n = &net->nodes[i];
    if (n->n_from < 2) {
        return bml_nn__bad(net, i, "needs two or more layers in .from");
    }
    n->out = n->in;
    for (int k = 1; k < n->n_from; k++) {
        const bml_nn__node *s = &net->nodes[n->from[k]];
        if (s->steps != n->steps || s->is_sequence != n->is_sequence || s->out != n->out) {
            return bml_nn__bad(net, i, "its sources differ in shape");
        }
    }
    return BML_NN_OK;
}

typedef void (*bml_nn__pass)(const bml_nn *net, bml_nn__lane *lane, int i);
typedef struct bml_nn__kind {
    const char *name;
    int (*plan)(bml_nn *net, int i);
    bml_nn__pass forward;
    bml_nn__pass backward;
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
    for (int i = 0; i < before; i++) {
        if (!strcmp(net->nodes[i].name, name)) {
            return i;
        }
    }
    return -1;
}

/* A name: letters, digits, _ and -, shorter than `room`. */
static int bml_nn__good_name(const char *name, size_t room) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t n = strlen(name);
    return n > 0 && n < room && strspn(name, allowed) == n;
}

static int bml_nn__set_name(bml_nn *net, int i, const bml_nn_layer *spec) {
    bml_nn__node *n = &net->nodes[i];
    if (!spec->name) {
        snprintf(n->name, sizeof n->name, "%s_%d", bml_nn__kinds[spec->kind].name, i);
    } else if (bml_nn__good_name(spec->name, BML_NN_MAX_NAME)) {
        memcpy(n->name, spec->name, strlen(spec->name) + 1);
    } else {
        return bml_nn__fail(net->message, BML_NN_BAD_LAYER, "layer %d: a name is 1 to %d letters, digits, _ or -", i,
                            BML_NN_MAX_NAME - 1);
    }
    return bml_nn__find(net, n->name, i) < 0 ? BML_NN_OK : bml_nn__bad(net, i, "another layer has that name");
}

/* Source k of layer i. */
static int bml_nn__set_source(bml_nn *net, int i, int k, const char *name) {
    bml_nn__node *n = &net->nodes[i];
    n->from[k] = bml_nn__find(net, name, i);
    if (n->from[k] < 0) {
        return bml_nn__fail(net->message, BML_NN_BAD_LAYER,
                            "layer %d (%s): takes \"%.40s\", which is no layer before it", i, n->name, name);
    }
    for (int j = 0; j < k; j++) {
        if (n->from[j] == n->from[k]) {
            return bml_nn__bad(net, i, "takes one layer twice");
        }
    }
    return BML_NN_OK;
}

/* The input that holds the steps of each row. */
static int bml_nn__set_lengths(bml_nn *net, int i, const char *name) {
    bml_nn__node *n = &net->nodes[i];
    n->lengths = name ? bml_nn__find(net, name, i) : -1;
    n->spec.lengths = NULL;
    if (!name) {
        return BML_NN_OK;
    }
    if (!(BML_NN__RECURRENT >> n->spec.kind & 1)) {
        return bml_nn__bad(net, i, "lengths belong to GRU, LSTM and RNN");
    }
    bml_nn__node *input = n->lengths < 0 ? NULL : &net->nodes[n->lengths];
    if (!input || input->spec.kind != BML_NN_INPUT || input->is_sequence || input->out != 1) {
        return bml_nn__bad(net, i, "its lengths must name an input of one feature before it");
    }
    input->holds_lengths = 1;
    net->padded = 1;
    return BML_NN_OK;
}

/* Name and sources of layer i. */
static int bml_nn__connect(bml_nn *net, int i, const bml_nn_layer *spec) {
    bml_nn__node *n = &net->nodes[i];
    if (spec->kind < 0 || spec->kind >= BML_NN_N_KINDS) {
        return bml_nn__fail(net->message, BML_NN_BAD_LAYER, "layer %d: kind = %d: must be in [0, %d]", i, spec->kind,
                            BML_NN_N_KINDS - 1);
    }
    n->spec = *spec;
    n->spec.name = NULL;
    n->epsilon_given = spec->epsilon > 0;
    int status = bml_nn__set_name(net, i, spec);
    while (!status && n->n_from < BML_NN_MAX_FROM && spec->from[n->n_from]) {
        status = bml_nn__set_source(net, i, n->n_from, spec->from[n->n_from]);
        n->n_from++;
    }
    if (!status) {
        status = bml_nn__set_lengths(net, i, spec->lengths);
    }
    for (int k = 0; k < BML_NN_MAX_FROM; k++) {
        n->spec.from[k] = NULL;
    }
    if (status) return status;
    if (n->spec.kind == BML_NN_INPUT) {
        return n->n_from ? bml_nn__bad(net, i, "an input takes nothing") : BML_NN_OK;
    }
    if (i == 0) {
        return bml_nn__bad(net, i, "the first layer must be an input");
    }
    if (n->n_from == 0) {
        n->from[n->n_from++] = i - 1;
    }
    if (n->n_from > 1 && n->spec.kind != BML_NN_CONCAT && n->spec.kind != BML_NN_ADD) {
        return bml_nn__bad(net, i, "takes more than one layer: put a concat or an add before it");
    }
    return BML_NN_OK;
}

/* Marks the sources of layer j that are layer i; the first mark is the first to write the gradient of i. */
static int bml_nn__mark_use(bml_nn__node *n, int i, int used) {
    for (int k = 0; k < n->n_from; k++) {
        if (n->from[k] != i) {
            continue;
        }
        n->fresh[k] = !used;
        used = 1;
    }
    return used;
}

/* On the way back the last layer that takes i is the first to write its gradient; the others add. */
static int bml_nn__check_use(bml_nn *net) {
    for (int i = 0; i < net->n_nodes - 1; i++) {
        int used = 0;
        int read = net->nodes[i].holds_lengths;
        for (int j = net->n_nodes - 1; j > i; j--) {
            used = bml_nn__mark_use(&net->nodes[j], i, used);
        }
        if (!used && !read) {
            return bml_nn__bad(net, i, "is not used by any layer");
        }
    }
    return BML_NN_OK;
}

static int bml_nn__plan_node(bml_nn *net, int i, const bml_nn_layer *spec) {
    bml_nn__node *n = &net->nodes[i];
    int status = bml_nn__connect(net, i, spec);
    if (!status) {
        status = bml_nn__check_layer(net, i);
    }
    if (status) return status;
    n->tensor = net->n_tensors;
    if (n->n_from) {
        const bml_nn__node *s = &net->nodes[n->from[0]];
        n->in_steps = s->steps;
        n->steps = s->steps;
        n->in = s->out;
        n->out = s->out;
        n->is_sequence = s->is_sequence;
    }
    status = bml_nn__kinds[n->spec.kind].plan(net, i);
    if (status != BML_NN_TOO_LARGE) {
        return status;
    }
    return bml_nn__fail(net->message, status, "layer %d (%s) is too large", i, n->name);
}

static int bml_nn__plan_net(bml_nn *net, const bml_nn_config *config) {
    for (int i = 0; i < config->n_layers; i++) {
        net->n_nodes = i + 1;
        int status = bml_nn__plan_node(net, i, &config->layers[i]);
        if (status) return status;
    }
    const bml_nn__node *last = &net->nodes[net->n_nodes - 1];
    if (last->spec.kind == BML_NN_INPUT) {
        return bml_nn__bad(net, net->n_nodes - 1, "the last layer, the output, is an input");
    }
    if (!bml_nn__mul(&net->n_out, last->steps, last->out)) {
        return bml_nn__fail(net->message, BML_NN_TOO_LARGE, "the output is too large");
    }
    return bml_nn__check_use(net);
}

/* >> making a net
   It is planned in memory of its own; then its size is known, and all of it lies in one block. */

/* Rows (or, if there are more rows than columns, columns) of w[m][n] orthonormal, from normal numbers (modified Gram &
   Schmidt, done twice, which is enough: Giraud et al. 2005). */
static void bml_nn__orthogonal(bml_nn_real *w, ptrdiff_t m, ptrdiff_t n, bml_nn_rng *rng) {
    const ptrdiff_t count = m < n ? m : n;
    const ptrdiff_t length = m < n ? n : m;
    const ptrdiff_t step = m < n ? 1 : n;
    const ptrdiff_t next = m < n ? n : 1;
    for (ptrdiff_t i = 0; i < m * n; i++) {
        w[i] = (bml_nn_real)bml_nn_rng_normal(rng);
    }
    for (ptrdiff_t i = 0; i < count; i++) {
        bml_nn_real *v = w + i * next;
        double norm = 0;
        for (ptrdiff_t twice = 0; twice < 2 * i; twice++) {
            const bml_nn_real *u = w + twice % i * next;
            double dot = 0;
            for (ptrdiff_t k = 0; k < length * step; k += step) {
                dot += (double)u[k] * (double)v[k];
            }
            for (ptrdiff_t k = 0; k < length * step; k += step) {
                v[k] -= (bml_nn_real)(dot * (double)u[k]);
            }
        }
        for (ptrdiff_t k = 0; k < length * step; k += step) {
            norm += (double)v[k] * (double)v[k];
        }
        for (ptrdiff_t k = 0; k < length * step; k += step) {
            v[k] = (bml_nn_real)((double)v[k] / sqrt(norm));
        }
    }
}

/* log(1 + e^rho) = sd, 0.05 of the kernel's start. */
static double bml_nn__start_rho(const bml_nn__node *n) {
    double glorot = sqrt(2 / ((double)n->in + n->out));
    return log(expm1(0.05 * glorot));
}

/* First value of number i of a tensor. */
static double bml_nn__start_value(const bml_nn *net, const bml_nn__tensor *t, ptrdiff_t i, bml_nn_rng *rng) {
    const bml_nn__node *n = &net->nodes[t->node];
    double fans = n->spec.init == BML_NN_HE ? t->fan_in : t->fan_in + t->fan_out;
    switch (t->start) {
    case BML_NN__ONE:
    case BML_NN__VARIANCE: return 1;
    case BML_NN__KERNEL: return sqrt(6 / fans) * (2 * bml_nn_rng_uniform(rng) - 1);
    case BML_NN__FORGET: return i / n->spec.units == 1 ? 1 : 0;
    case BML_NN__RHO: return bml_nn__start_rho(n);
    default: return 0;
    }
}

static void bml_nn__start_tensor(bml_nn *net, int k, uint64_t seed) {
    const bml_nn__tensor *t = &net->tensors[k];
    bml_nn_real *w = (t->running ? net->running : net->params) + t->offset;
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, seed, (uint64_t)k);
    if (t->start == BML_NN__ORTHOGONAL) {
        bml_nn__orthogonal(w, t->shape[0], t->shape[1], &rng);
        return;
    }
    for (ptrdiff_t i = 0; i < t->count; i++) {
        w[i] = (bml_nn_real)bml_nn__start_value(net, t, i, &rng);
    }
}

/* A net's place in its block. */
static bml_nn *bml_nn__lay_net(bml_nn__arena *a, const bml_nn *plan) {
    bml_nn *net = (bml_nn *)bml_nn__take(a, 1, sizeof *net);
    void *nodes = bml_nn__take(a, plan->n_nodes, sizeof *net->nodes);
    void *tensors = bml_nn__take(a, plan->n_tensors, sizeof *net->tensors);
    bml_nn_real *params = bml_nn__take_reals(a, plan->n_params);
    bml_nn_real *running = bml_nn__take_reals(a, plan->n_running);
    bml_nn_real *in = bml_nn__take_reals(a, 2 * plan->n_in);
    bml_nn_real *out = bml_nn__take_reals(a, 2 * plan->n_out);
    if (!net) {
        return NULL;
    }
    *net = *plan;
    net->nodes = (bml_nn__node *)nodes;
    net->tensors = (bml_nn__tensor *)tensors;
    net->params = params;
    net->running = running;
    net->scaler_room[0] = in;
    net->scaler_room[1] = out;
    memcpy(nodes, plan->nodes, bml_nn__bytes(plan->n_nodes, sizeof *net->nodes));
    memcpy(tensors, plan->tensors, bml_nn__bytes(plan->n_tensors, sizeof *net->tensors));
    return net;
}

/* The net of a plan, with at most `most` parameters. */
static int bml_nn__build(bml_nn **out, bml_nn *plan, ptrdiff_t most) {
    bml_nn__arena a = {NULL, 0};
    double n = (double)plan->n_params;
    if (plan->n_params > most || plan->n_running > most) {
        return bml_nn__fail(plan->message, BML_NN_MISMATCH, "the layers have %.0f parameters, more than the file holds",
                            n);
    }
    bml_nn__lay_net(&a, plan);
    int status = bml_nn__make_block(&a);
    if (status) {
        return bml_nn__fail(plan->message, status, "%.0f parameters: %s", n, bml_nn_strerror(status));
    }
    *out = bml_nn__lay_net(&a, plan);
#if defined(BML_NN_USE_CBLAS) && defined(OPENBLAS_VERSION)
    openblas_set_num_threads(1);
#endif
    return BML_NN_OK;
}

static int bml_nn__make(bml_nn **out, const bml_nn_config *config, ptrdiff_t most, char *why) {
    bml_nn plan;
    memset(&plan, 0, sizeof plan);
    if (!out) {
        return bml_nn__reason(why, BML_NN_BAD_ARGUMENT, "no place for the net");
    }
    *out = NULL;
    if (!config || !config->layers) {
        return bml_nn__reason(why, BML_NN_BAD_ARGUMENT, "no layers");
    }
    int n = config->n_layers;
    if (n < 2 || n > BML_NN__MAX_LAYERS) {
        int status =
            bml_nn__fail(plan.message, BML_NN_BAD_ARGUMENT, "n_layers = %d: must be in [2, %d]", n, BML_NN__MAX_LAYERS);
        return bml_nn__reason(why, status, plan.message);
    }
    plan.nodes = (bml_nn__node *)bml_nn__alloc(n, sizeof *plan.nodes + BML_NN__MAX_TENSORS * sizeof *plan.tensors);
    if (!plan.nodes) {
        return bml_nn__reason(why, BML_NN_NO_MEMORY, NULL);
    }
    plan.tensors = (bml_nn__tensor *)(void *)(plan.nodes + n);
    int status = bml_nn__plan_net(&plan, config);
    if (!status) {
        status = bml_nn__build(out, &plan, most);
    }
    BML_NN_FREE(plan.nodes);
    return bml_nn__reason(why, status, plan.message);
}

BML_NN_DEF int(bml_nn_create)(bml_nn **net, const bml_nn_config *config, char *why) {
    int status = bml_nn__make(net, config, BML_NN__MOST, why);
    for (int i = 0; !status && i < (*net)->n_tensors; i++) {
        bml_nn__start_tensor(*net, i, config->seed);
    }
    return status;
}

BML_NN_DEF void bml_nn_free(bml_nn *net) {
    if (!net) {
        return;
    }
    while (net->extras) {
        bml_nn__extra *e = net->extras;
        net->extras = e->next;
        BML_NN_FREE(e);
    }
    BML_NN_FREE(net);
}

BML_NN_DEF const char *bml_nn_message(const bml_nn *net) {
    return net ? net->message : "";
}
BML_NN_DEF size_t bml_nn_n_in(const bml_nn *net) {
    return net ? (size_t)net->n_in : 0;
}
BML_NN_DEF size_t bml_nn_n_out(const bml_nn *net) {
    return net ? (size_t)net->n_out : 0;
}
BML_NN_DEF size_t bml_nn_n_params(const bml_nn *net) {
    return net ? (size_t)net->n_params : 0;
}
BML_NN_DEF bml_nn_real *bml_nn_params(bml_nn *net) {
    return net ? net->params : NULL;
}

BML_NN_DEF bml_nn_real *bml_nn_tensor(bml_nn *net, const char *name, size_t *count) {
    if (count) {
        *count = 0;
    }
    if (!net || !name) {
        return NULL;
    }
    for (int i = 0; i < net->n_tensors; i++) {
        const bml_nn__tensor *t = &net->tensors[i];
        const char *layer = net->nodes[t->node].name;
        size_t n = strlen(layer);
        int same = !strncmp(name, layer, n) && name[n] == '.' && !strcmp(name + n + 1, t->what);
        if (!same) {
            continue;
        }
        if (count) {
            *count = (size_t)t->count;
        }
        return (t->running ? net->running : net->params) + t->offset;
    }
    return NULL;
}

typedef struct bml_nn__writer { /* a text that may be full; `used` counts on */
    char *text;
    size_t size;
    size_t used;
} bml_nn__writer;

BML_NN__PRINTF(2, 3) static void bml_nn__append(bml_nn__writer *w, const char *format, ...) {
    int fits = w->text && w->used < w->size;
    char *to = fits ? w->text + w->used : NULL;
    size_t room = fits ? w->size - w->used : 0;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(to, room, format, args);
    va_end(args);
    if (n > 0) {
        w->used += (size_t)n;
    }
}

/* One line of the summary. */
static void bml_nn__summary_line(bml_nn__writer *w, const bml_nn *net, int i) {
    const bml_nn__node *n = &net->nodes[i];
    char shape[48];
    double params = 0;
    for (int k = n->tensor; k < n->tensor + n->n_tensors; k++) {
        params += net->tensors[k].running ? 0 : (double)net->tensors[k].count;
    }
    if (n->is_sequence) {
        snprintf(shape, sizeof shape, "%d x %d", n->steps, n->out);
    } else {
        snprintf(shape, sizeof shape, "%d", n->out);
    }
    const char *kind = bml_nn__kinds[n->spec.kind].name;
    bml_nn__append(w, "%-20s %-11s %-15s %10.0f ", n->name, kind, shape, params);
    for (int k = 0; k < n->n_from; k++) {
        bml_nn__append(w, " %s", net->nodes[n->from[k]].name);
    }
    bml_nn__append(w, "\n");
}

BML_NN_DEF size_t bml_nn_summary(char *text, size_t size, const bml_nn *net) {
    bml_nn__writer w = {text, size, 0};
    if (!net) {
        return 0;
    }
    bml_nn__append(&w, "%-20s %-11s %-15s %10s  %s\n", "layer", "kind", "output", "parameters", "takes");
    for (int i = 0; i < net->n_nodes; i++) {
        bml_nn__summary_line(&w, net, i);
    }
    bml_nn__append(&w, "%.0f parameters, %.0f numbers in, %.0f out\n", (double)net->n_params, (double)net->n_in,
                   (double)net->n_out);
    return w.used;
}

/* >> scaling, texts and arrays */

static int bml_nn__is_side(int which) {
    return which == BML_NN_INPUTS || which == BML_NN_OUTPUTS;
}

BML_NN_DEF int bml_nn_set_scaler(bml_nn *net, int which, const bml_nn_real *shift, const bml_nn_real *scale) {
    if (!net) {
        return BML_NN_BAD_ARGUMENT;
    }
    if (!bml_nn__is_side(which) || !shift || !scale) {
        return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT,
                            "a scaler is of inputs or of outputs, and needs shift and scale");
    }
    const ptrdiff_t n = which == BML_NN_INPUTS ? net->n_in : net->n_out;
    for (ptrdiff_t i = 0; i < n; i++) {
        int good = isfinite(shift[i]) && scale[i] > 0 && isfinite(scale[i]);
        if (!good) {
            return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT,
                                "scaler column %.0f: shift = %g must be finite, scale = %g positive", (double)i,
                                (double)shift[i], (double)scale[i]);
        }
    }
    net->shift[which] = net->scaler_room[which];
    net->scale[which] = net->scaler_room[which] + n;
    memmove(net->shift[which], shift, bml_nn__bytes(n, sizeof *shift));
    memmove(net->scale[which], scale, bml_nn__bytes(n, sizeof *scale));
    return BML_NN_OK;
}

/* shift and scale of one run of values: every `stride`-th from the first. */
static void bml_nn__fit_column(bml_nn_real *shift, bml_nn_real *scale, int kind, const bml_nn_real *data,
                               ptrdiff_t count, ptrdiff_t stride) {
    double sum = 0;
    double square = 0;
    double low = (double)data[0];
    double high = low;
    for (ptrdiff_t i = 0; i < count; i++) {
        double v = (double)data[i * stride];
        sum += v;
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    sum /= (double)count;
    for (ptrdiff_t i = 0; i < count; i++) {
        double away = (double)data[i * stride] - sum;
        square += away * away;
    }
    *shift = (bml_nn_real)(kind == BML_NN_STANDARD ? sum : low);
    *scale = (bml_nn_real)(kind == BML_NN_STANDARD ? sqrt(square / (double)count) : high - low);
    if (!(*scale > 0) || !(high > low)) {
        *scale = 1;
    }
}

BML_NN_DEF int bml_nn_fit_scaler(bml_nn *net, int which, int kind, const bml_nn_real *data, size_t n) {
    if (!net) {
        return BML_NN_BAD_ARGUMENT;
    }
    int known = kind >= 0 && kind <= BML_NN_MIN_MAX_ALL;
    if (!bml_nn__is_side(which) || !known || !data || !n) {
        return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "a scaler needs rows, which side it is for, and a kind");
    }
    const ptrdiff_t m = which == BML_NN_INPUTS ? net->n_in : net->n_out;
    const ptrdiff_t rows = (ptrdiff_t)n;
    ptrdiff_t all;
    if (!bml_nn__mul(&all, rows, m)) {
        return bml_nn__fail(net->message, BML_NN_TOO_LARGE, "rows of a scaler");
    }
    for (ptrdiff_t i = 0; i < all; i++) {
        if (!isfinite(data[i])) {
            return bml_nn__fail(net->message, BML_NN_BAD_DATA, "row %.0f, column %.0f is not finite", (double)(i / m),
                                (double)(i % m));
        }
    }
    bml_nn_real *shift = bml_nn__alloc_reals(2 * m);
    if (!shift) {
        return bml_nn__fail(net->message, BML_NN_NO_MEMORY, "a scaler");
    }
    bml_nn_real *scale = shift + m;
    if (kind == BML_NN_MIN_MAX_ALL) {
        bml_nn__fit_column(shift, scale, kind, data, all, 1);
    }
    for (ptrdiff_t i = 0; i < m; i++) {
        if (kind == BML_NN_MIN_MAX_ALL) {
            shift[i] = shift[0];
            scale[i] = scale[0];
        } else {
            bml_nn__fit_column(&shift[i], &scale[i], kind, data + i, rows, m);
        }
    }
    int status = bml_nn_set_scaler(net, which, shift, scale);
    BML_NN_FREE(shift);
    return status;
}

static bml_nn__extra *bml_nn__find_extra(const bml_nn *net, const char *name) {
    bml_nn__extra *e = net && name ? net->extras : NULL;
    while (e && strcmp(e->name, name)) {
        e = e->next;
    }
    return e;
}

/* Bytes of the UTF-8 character that begins with `first`, 0 if none does. */
static int bml_nn__utf8_size(unsigned first) {
    static const unsigned from[] = {0x00, 0x80, 0xC2, 0xE0, 0xF0, 0xF5};
    static const int size[] = {1, 0, 2, 3, 4, 0};
    int k = 5;
    while (first < from[k]) {
        k--;
    }
    return size[k];
}

/* Bytes of the well-formed UTF-8 character at p, 0 if it is none: no surrogates, nothing longer than it need be. */
static size_t bml_nn__utf8_length(const unsigned char *p, size_t left) {
    size_t n = (size_t)bml_nn__utf8_size(*p);
    if (!n || n > left) {
        return 0;
    }
    for (size_t k = 1; k < n; k++) {
        if ((p[k] & 0xC0) != 0x80) {
            return 0;
        }
    }
    if (*p == 0xE0 && p[1] < 0xA0) {
        return 0;
    }
    if (*p == 0xED && p[1] > 0x9F) {
        return 0;
    }
    if (*p == 0xF0 && p[1] < 0x90) {
        return 0;
    }
    if (*p == 0xF4 && p[1] > 0x8F) {
        return 0;
    }
    return n;
}

static int bml_nn__is_utf8(const char *text) {
    size_t left = strlen(text);
    while (left) {
        size_t n = bml_nn__utf8_length((const unsigned char *)text, left);
        if (!n) {
            return 0;
        }
        text += n;
        left -= n;
    }
    return 1;
}

/* A new extra in one block: name, then the text or the array. */
static bml_nn__extra *bml_nn__make_extra(const char *name, const char *text, const bml_nn_real *values, ptrdiff_t n) {
    bml_nn__arena a = {NULL, 0};
    ptrdiff_t length = text ? (ptrdiff_t)strlen(text) + 1 : 0;
    bml_nn__take(&a, 1, sizeof(bml_nn__extra));
    bml_nn__take(&a, length, 1);
    bml_nn__take_reals(&a, n);
    if (bml_nn__make_block(&a)) {
        return NULL;
    }
    bml_nn__extra *e = (bml_nn__extra *)bml_nn__take(&a, 1, sizeof *e);
    memcpy(e->name, name, strlen(name) + 1);
    char *own_text = (char *)bml_nn__take(&a, length, 1);
    bml_nn_real *own = bml_nn__take_reals(&a, n);
    if (text) {
        memcpy(own_text, text, (size_t)length);
        e->text = own_text;
    } else {
        bml_nn__copy(own, values, n);
        e->values = own;
    }
    e->n = n;
    return e;
}

/* A text or an array under a name, copied. */
static int bml_nn__set_extra(bml_nn *net, const char *name, const char *text, const bml_nn_real *values, size_t n) {
    if (!net) {
        return BML_NN_BAD_ARGUMENT;
    }
    int named = name && bml_nn__good_name(name, BML_NN__MAX_KEY) && strncmp(name, "bml_nn", 6);
    if (!named || (!text && (!values || !n))) {
        return bml_nn__fail(
            net->message, BML_NN_BAD_ARGUMENT,
            "what travels with a net needs a name of letters, digits, _ or -, not bml_nn..., and a value");
    }
    if (text && !bml_nn__is_utf8(text)) {
        return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "\"%s\" is not UTF-8", name);
    }
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "\"%s\": value %.0f is not finite", name, (double)i);
        }
    }
    bml_nn__extra *made = bml_nn__make_extra(name, text, values, (ptrdiff_t)n);
    if (!made) {
        return bml_nn__fail(net->message, BML_NN_NO_MEMORY, "\"%s\"", name);
    }
    bml_nn__extra **place = &net->extras;
    while (*place && strcmp((*place)->name, name)) {
        place = &(*place)->next;
    }
    bml_nn__extra *old = *place;
    if (old) {
        made->next = old->next;
        *place = made;
        BML_NN_FREE(old);
    } else {
        made->next = net->extras;
        net->extras = made;
    }
    return BML_NN_OK;
}

BML_NN_DEF int bml_nn_set_text(bml_nn *net, const char *name, const char *text) {
    return bml_nn__set_extra(net, name, text, NULL, 0);
}

BML_NN_DEF const char *bml_nn_get_text(const bml_nn *net, const char *name) {
    const bml_nn__extra *e = bml_nn__find_extra(net, name);
    return e ? e->text : NULL;
}

BML_NN_DEF int bml_nn_set_array(bml_nn *net, const char *name, const bml_nn_real *values, size_t n) {
    return bml_nn__set_extra(net, name, NULL, values, n);
}

BML_NN_DEF const bml_nn_real *bml_nn_get_array(const bml_nn *net, const char *name, size_t *n) {
    const bml_nn__extra *e = bml_nn__find_extra(net, name);
    if (n) {
        *n = e && e->values ? (size_t)e->n : 0;
    }
    return e ? e->values : NULL;
}

/* >> running rows
   A lane runs up to `rows` rows; calls are cut into blocks of that size, which do not depend on the number of
   threads. */

enum { BML_NN__FORWARD, BML_NN__BACKWARD };

/* Reals that the layers need for `rows` rows on one way. 0 on overflow. */
static int bml_nn__lane_reals(ptrdiff_t *total, const bml_nn *net, ptrdiff_t rows, int way) {
    *total = 0;
    for (int i = 0; i < net->n_nodes; i++) {
        const bml_nn__node *n = &net->nodes[i];
        const ptrdiff_t out = (ptrdiff_t)n->steps * n->out;
        if (!bml_nn__add_mul(total, out, rows)) {
            return 0;
        }
        if (way == BML_NN__BACKWARD) {
            continue;
        }
        if (!bml_nn__add_mul(total, n->cache + n->dcache, rows)) {
            return 0;
        }
        if (!bml_nn__add_mul(total, n->cache_fixed, 1)) {
            return 0;
        }
    }
    return 1;
}

/* Reals of scratch: those of the layer that needs most. */
static int bml_nn__lane_scratch(ptrdiff_t *most, const bml_nn *net, ptrdiff_t rows) {
    *most = 0;
    for (int i = 0; i < net->n_nodes; i++) {
        const bml_nn__node *n = &net->nodes[i];
        ptrdiff_t need = n->scratch_fixed;
        if (!bml_nn__add_mul(&need, n->scratch, rows)) {
            return 0;
        }
        *most = need > *most ? need : *most;
    }
    return 1;
}

/* A lane's memory for the way forward. */
static void bml_nn__lay_lane(bml_nn__lane *lane, bml_nn__arena *a, const bml_nn *net, int rows) {
    ptrdiff_t total;
    ptrdiff_t scratch;
    if (!bml_nn__lane_reals(&total, net, rows, BML_NN__FORWARD) || !bml_nn__lane_scratch(&scratch, net, rows)) {
        a->used = -1;
        return;
    }
    lane->rows = rows;
    lane->out = (bml_nn_real **)bml_nn__take(a, net->n_nodes, sizeof *lane->out);
    lane->cache = (bml_nn_real **)bml_nn__take(a, net->n_nodes, sizeof *lane->cache);
    bml_nn_real *at = bml_nn__take_reals(a, total);
    lane->scratch = bml_nn__take_reals(a, scratch);
    lane->running = bml_nn__take_reals(a, net->n_running);
    for (int i = 0; at && i < net->n_nodes; i++) {
        const bml_nn__node *n = &net->nodes[i];
        lane->out[i] = at;
        at += (ptrdiff_t)n->steps * n->out * rows;
        lane->cache[i] = at;
        at += (n->cache + n->dcache) * rows + n->cache_fixed;
    }
}

/* And for the way back. */
static void bml_nn__lay_backward(bml_nn__lane *lane, bml_nn__arena *a, const bml_nn *net, int training) {
    ptrdiff_t total;
    if (!bml_nn__lane_reals(&total, net, lane->rows, BML_NN__BACKWARD)) {
        a->used = -1;
        return;
    }
    if (training) {
        lane->grad = bml_nn__take_reals(a, net->n_params);
    }
    bml_nn_real **d = (bml_nn_real **)bml_nn__take(a, net->n_nodes, sizeof *d);
    bml_nn_real *at = bml_nn__take_reals(a, total);
    if (!at) {
        return;
    }
    lane->d = d;
    for (int i = 0; i < net->n_nodes; i++) {
        d[i] = at;
        at += (ptrdiff_t)net->nodes[i].steps * net->nodes[i].out * lane->rows;
    }
}

/* Input layer i takes its part of rows index[b] (NULL: 0 ... b-1) of x[...][n_in], scaled. */
static void bml_nn__input_forward(const bml_nn *net, bml_nn__lane *lane, int i, const bml_nn_real *x,
                                  const ptrdiff_t *index) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t w = n->out;
    const ptrdiff_t b = lane->b;
    for (ptrdiff_t row = 0; row < b; row++) {
        const bml_nn_real *from = x + (index ? index[row] : row) * net->n_in + n->input_offset;
        for (ptrdiff_t t = 0; t < n->steps; t++) {
            const ptrdiff_t at = n->input_offset + t * w;
            bml_nn_real *to = lane->out[i] + (t * b + row) * w;
            if (!net->shift[0] || n->holds_lengths) {
                bml_nn__copy(to, from + t * w, w);
                continue;
            }
            for (ptrdiff_t c = 0; c < w; c++) {
                to[c] = (from[t * w + c] - net->shift[0][at + c]) / net->scale[0][at + c];
            }
        }
    }
}

static void bml_nn__forward(const bml_nn *net, bml_nn__lane *lane, const bml_nn_real *x, const ptrdiff_t *index,
                            int b) {
    lane->b = b;
    for (int i = 0; i < net->n_nodes; i++) {
        const int kind = net->nodes[i].spec.kind;
        if (kind == BML_NN_INPUT) {
            bml_nn__input_forward(net, lane, i, x, index);
        } else {
            bml_nn__kinds[kind].forward(net, lane, i);
        }
    }
}

/* From lane->d of the last layer to lane->grad, or to those of the inputs. */
static void bml_nn__backward(const bml_nn *net, bml_nn__lane *lane) {
    for (int i = net->n_nodes - 1; i >= 0; i--) {
        const int kind = net->nodes[i].spec.kind;
        if (kind != BML_NN_INPUT) {
            bml_nn__kinds[kind].backward(net, lane, i);
        }
    }
}

/* From the last layer's [steps][b][features] to rows [b][n_out]. */
static void bml_nn__output_rows(bml_nn_real *y, const bml_nn *net, const bml_nn__lane *lane) {
    const bml_nn__node *n = &net->nodes[net->n_nodes - 1];
    const bml_nn_real *out = lane->out[net->n_nodes - 1];
    const ptrdiff_t w = n->out;
    const ptrdiff_t b = lane->b;
    for (ptrdiff_t row = 0; row < b; row++) {
        for (ptrdiff_t t = 0; t < n->steps; t++) {
            bml_nn__copy(y + row * net->n_out + t * w, out + (t * b + row) * w, w);
        }
    }
}

/* And the other way. */
static void bml_nn__gradient_rows(const bml_nn *net, bml_nn__lane *lane, const bml_nn_real *dy) {
    const bml_nn__node *n = &net->nodes[net->n_nodes - 1];
    bml_nn_real *d = lane->d[net->n_nodes - 1];
    const ptrdiff_t w = n->out;
    const ptrdiff_t b = lane->b;
    for (ptrdiff_t row = 0; row < b; row++) {
        for (ptrdiff_t t = 0; t < n->steps; t++) {
            bml_nn__copy(d + (t * b + row) * w, dy + row * net->n_out + t * w, w);
        }
    }
}

struct bml_nn_work {
    const bml_nn *net;
    int rows;
    int threads;
    bml_nn__lane *lanes; /* [threads] */
    char *back;          /* block of the way back, made when it is wanted */
    bml_nn_real *dy;     /* in it: [threads][rows][n_out] scaled gradients */
};

static bml_nn_work *bml_nn__lay_work(bml_nn__arena *a, const bml_nn *net, int rows, int threads) {
    bml_nn_work *work = (bml_nn_work *)bml_nn__take(a, 1, sizeof *work);
    bml_nn__lane *lanes = (bml_nn__lane *)bml_nn__take(a, threads, sizeof *lanes);
    bml_nn__lane counted;
    for (int i = 0; i < threads; i++) {
        bml_nn__lay_lane(lanes ? &lanes[i] : &counted, a, net, rows);
    }
    if (!work) {
        return NULL;
    }
    work->net = net;
    work->rows = rows;
    work->threads = threads;
    work->lanes = lanes;
    return work;
}

/* Memory for derivatives, once. */
static int bml_nn__work_backward(bml_nn_work *work) {
    bml_nn__arena a = {NULL, 0};
    ptrdiff_t rows = (ptrdiff_t)work->threads * work->rows;
    ptrdiff_t n_dy;
    if (work->back) {
        return BML_NN_OK;
    }
    if (!bml_nn__mul(&n_dy, rows, work->net->n_out)) {
        return BML_NN_TOO_LARGE;
    }
    for (int twice = 0; twice < 2; twice++) {
        for (int i = 0; i < work->threads; i++) {
            bml_nn__lay_backward(&work->lanes[i], &a, work->net, 0);
        }
        work->dy = bml_nn__take_reals(&a, n_dy);
        if (a.base) {
            break;
        }
        int status = bml_nn__make_block(&a);
        if (status) return status;
    }
    work->back = a.base;
    return BML_NN_OK;
}

BML_NN_DEF int(bml_nn_work_create)(bml_nn_work **out, const bml_nn *net, int rows, int threads, char *why) {
    bml_nn__arena a = {NULL, 0};
    char message[BML_NN_MESSAGE] = "";
    int status = BML_NN_OK;
    if (out) {
        *out = NULL;
    }
    if (!out || !net) {
        return bml_nn__reason(why, BML_NN_BAD_ARGUMENT, "a workspace needs a net and a place");
    }
    if (rows < 1) {
        status = bml_nn__fail(message, BML_NN_BAD_ARGUMENT, "rows = %d: must be 1 or more", rows);
    }
    if (threads < 0 || threads > 1024) {
        status = bml_nn__fail(message, BML_NN_BAD_ARGUMENT, "threads = %d: must be in [0, 1024]", threads);
    }
    if (status) {
        return bml_nn__reason(why, status, message);
    }
    if (!threads) {
        threads = 1;
    }
    bml_nn__lay_work(&a, net, rows, threads);
    status = bml_nn__make_block(&a);
    if (!status) {
        *out = bml_nn__lay_work(&a, net, rows, threads);
    }
    return bml_nn__reason(why, status, NULL);
}

BML_NN_DEF void bml_nn_work_free(bml_nn_work *work) {
    if (!work) {
        return;
    }
    BML_NN_FREE(work->back);
    BML_NN_FREE(work);
}

/* What one call wants of every block of rows. */
typedef struct bml_nn__job {
    const bml_nn_real *x;  /* [n][n_in] */
    const bml_nn_real *dy; /* [n][n_out] */
    bml_nn_real *y;        /* [n][n_out] */
    bml_nn_real *dx;       /* [n][n_in]; NULL: only forward */
    int mode;
    int output; /* >= 0: the gradient of that one, dy not read */
    uint64_t seed;
    uint32_t step;
} bml_nn__job;

/* Derivatives by the inputs that layer i took, in the user's units. */
static void bml_nn__input_back(const bml_nn *net, const bml_nn__lane *lane, int i, bml_nn_real *dx) {
    const bml_nn__node *n = &net->nodes[i];
    const ptrdiff_t w = n->out;
    const ptrdiff_t b = lane->b;
    for (ptrdiff_t row = 0; row < b; row++) {
        for (ptrdiff_t t = 0; t < n->steps; t++) {
            const ptrdiff_t at = n->input_offset + t * w;
            const bml_nn_real *d = lane->d[i] + (t * b + row) * w;
            bml_nn_real *to = dx + row * net->n_in + at;
            for (ptrdiff_t c = 0; c < w; c++) {
                to[c] = d[c] / (net->scale[0] ? net->scale[0][at + c] : 1);
            }
        }
    }
}

/* Scaled derivatives in, so that the layers see their own. */
static void bml_nn__block_back(bml_nn_work *work, int lane_number, const bml_nn__job *job, ptrdiff_t first) {
    const bml_nn *net = work->net;
    bml_nn__lane *lane = &work->lanes[lane_number];
    bml_nn_real *dy = work->dy + (ptrdiff_t)lane_number * work->rows * net->n_out;
    const bml_nn_real *scale = net->scale[1];
    for (ptrdiff_t k = 0; k < lane->b * net->n_out; k++) {
        const ptrdiff_t column = k % net->n_out;
        bml_nn_real d = column == job->output ? BML_NN__R(1) : 0;
        if (job->output < 0) {
            d = job->dy[first * net->n_out + k];
        }
        dy[k] = scale ? d * scale[column] : d;
    }
    bml_nn__gradient_rows(net, lane, dy);
    bml_nn__backward(net, lane);
    for (int i = 0; i < net->n_nodes; i++) {
        if (net->nodes[i].spec.kind == BML_NN_INPUT) {
            bml_nn__input_back(net, lane, i, job->dx + first * net->n_in);
        }
    }
}

static void bml_nn__block(bml_nn_work *work, int lane_number, const bml_nn__job *job, ptrdiff_t first, int b) {
    const bml_nn *net = work->net;
    bml_nn__lane *lane = &work->lanes[lane_number];
    lane->mode = job->mode;
    lane->seed = job->seed;
    lane->step = job->step;
    lane->first = first;
    bml_nn__forward(net, lane, job->x + first * net->n_in, NULL, b);
    if (job->y) {
        bml_nn_real *y = job->y + first * net->n_out;
        bml_nn__output_rows(y, net, lane);
        for (ptrdiff_t k = 0; net->scale[1] && k < b * net->n_out; k++) {
            y[k] = y[k] * net->scale[1][k % net->n_out] + net->shift[1][k % net->n_out];
        }
    }
    if (job->dx) {
        bml_nn__block_back(work, lane_number, job, first);
    }
}

static int bml_nn__thread(void) {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

static int bml_nn__default_rows(size_t n) {
    return n < 48 ? (int)n : 48;
}

/* First row of x[n][n_in] whose length is not a whole number of steps in [1, steps], or -1. */
static ptrdiff_t bml_nn__bad_length(const bml_nn *net, const bml_nn_real *x, ptrdiff_t n) {
    for (int i = 0; i < net->n_nodes; i++) {
        const bml_nn__node *node = &net->nodes[i];
        if (node->lengths < 0 || !(BML_NN__RECURRENT >> node->spec.kind & 1)) {
            continue;
        }
        const bml_nn_real *length = x + net->nodes[node->lengths].input_offset;
        for (ptrdiff_t row = 0; row < n; row++) {
            bml_nn_real v = length[row * net->n_in];
            if (!(v >= 1 && v <= (bml_nn_real)node->in_steps && v == (bml_nn_real)(int)v)) {
                return row;
            }
        }
    }
    return -1;
}

/* Rows in blocks, each by one thread. */
static void bml_nn__run_blocks(bml_nn_work *work, const bml_nn__job *job, ptrdiff_t n) {
    const ptrdiff_t rows = work->rows;
    const ptrdiff_t blocks = (n + rows - 1) / rows;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(work->threads) if (work->threads > 1)
#endif
    for (ptrdiff_t i = 0; i < blocks; i++) {
        const ptrdiff_t left = n - i * rows;
        bml_nn__block(work, bml_nn__thread(), job, i * rows, (int)(left < rows ? left : rows));
    }
}

static int bml_nn__run(const bml_nn *net, bml_nn_work *given, const bml_nn__job *job, size_t n_rows) {
    bml_nn_work *work = given;
    int status = BML_NN_OK;
    if (!work) {
        status = bml_nn_work_create(&work, net, bml_nn__default_rows(n_rows), 1, NULL);
    }
    if (status) return status;
    if (job->dx) {
        status = bml_nn__work_backward(work);
    }
    const ptrdiff_t n = (ptrdiff_t)n_rows;
    const ptrdiff_t rows = work->rows;
    if (!status && n <= rows) { /* a batch of one pays for nothing else */
        bml_nn__block(work, 0, job, 0, (int)n);
    } else if (!status) {
        bml_nn__run_blocks(work, job, n);
    }
    if (!given) {
        bml_nn_work_free(work);
    }
    return status;
}

static int bml_nn__can_run(const bml_nn *net, const bml_nn_work *work, const void *out, const bml_nn_real *x,
                           size_t n) {
    if (!net || !out || !x || (work && work->net != net)) {
        return BML_NN_BAD_ARGUMENT;
    }
    const double most = (double)(BML_NN__MOST / 64);
    const double width = (double)(net->n_in > net->n_out ? net->n_in : net->n_out);
    if ((double)n * width > most) {
        return BML_NN_TOO_LARGE;
    }
    int refused = net->padded && bml_nn__bad_length(net, x, (ptrdiff_t)n) >= 0;
    return refused ? BML_NN_BAD_DATA : BML_NN_OK;
}

BML_NN_DEF int bml_nn_predict(const bml_nn *net, bml_nn_work *work, bml_nn_real *y, const bml_nn_real *x, size_t n) {
    bml_nn__job job = {x, NULL, y, NULL, BML_NN__PLAIN, -1, 0, 0};
    if (!n) {
        return BML_NN_OK;
    }
    int status = bml_nn__can_run(net, work, y, x, n);
    return status ? status : bml_nn__run(net, work, &job, n);
}

static int bml_nn__is_random(const bml_nn__node *n) {
    return n->spec.kind == BML_NN_BAYES || (n->spec.kind == BML_NN_DROPOUT && n->spec.rate > 0);
}

BML_NN_DEF int bml_nn_draws(const bml_nn *net, bml_nn_work *work, bml_nn_real *draws, const bml_nn_real *x, size_t n,
                            int n_draws, uint64_t seed) {
    bml_nn__job job = {x, NULL, draws, NULL, BML_NN__DRAW, -1, seed, 0};
    bml_nn_work *own = work;
    int status = n_draws < 0 ? BML_NN_BAD_ARGUMENT : bml_nn__can_run(net, work, draws, x, n);
    int random = 0;
    if (status) return status;
    for (int i = 0; i < net->n_nodes; i++) {
        random |= bml_nn__is_random(&net->nodes[i]);
    }
    if (!random) {
        return BML_NN_BAD_LAYER;
    }
    if (!n || !n_draws) {
        return BML_NN_OK;
    }
    if (!work) {
        status = bml_nn_work_create(&own, net, bml_nn__default_rows(n), 1, NULL);
    }
    for (int i = 0; i < n_draws && !status; i++) {
        job.step = (uint32_t)i;
        status = bml_nn__run(net, own, &job, n);
        job.y += (ptrdiff_t)n * net->n_out;
    }
    if (!work) {
        bml_nn_work_free(own);
    }
    return status;
}

static int bml_nn__compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The quantile `level` of sorted[n], linear between order statistics. */
static double bml_nn__quantile(const double *sorted, int n, double level) {
    double at = level * (n - 1);
    int low = (int)at;
    int high = low + 1 < n ? low + 1 : low;
    return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}

/* Mean, sd and quantiles of number v of the draws; sorted[n_draws] is room. */
static void bml_nn__summarize_value(const bml_nn_spread *out, const bml_nn_real *draws, int n_draws, size_t n_values,
                                    size_t v, double *sorted) {
    double mean = 0;
    double square = 0;
    const bml_nn_real *draw = draws + v;
    for (int k = 0; k < n_draws; k++) {
        sorted[k] = (double)*draw;
        mean += sorted[k];
        draw += n_values;
    }
    mean /= n_draws;
    for (int k = 0; k < n_draws; k++) {
        square += (sorted[k] - mean) * (sorted[k] - mean);
    }
    if (out->mean) {
        out->mean[v] = (bml_nn_real)mean;
    }
    if (out->sd) {
        out->sd[v] = (bml_nn_real)sqrt(square / (n_draws - 1));
    }
    if (!out->n_levels) {
        return;
    }
    qsort(sorted, (size_t)n_draws, sizeof *sorted, bml_nn__compare_doubles);
    bml_nn_real *to = out->quantiles + v;
    for (int q = 0; q < out->n_levels; q++) {
        *to = (bml_nn_real)bml_nn__quantile(sorted, n_draws, out->levels[q]);
        to += n_values;
    }
}

BML_NN_DEF int bml_nn_summarize_draws(const bml_nn_spread *out, const bml_nn_real *draws, int n_draws,
                                      size_t n_values) {
    if (!out || !draws || n_draws < 2 || out->n_levels < 0) {
        return BML_NN_BAD_ARGUMENT;
    }
    if (out->n_levels > 0 && (!out->levels || !out->quantiles)) {
        return BML_NN_BAD_ARGUMENT;
    }
    for (int q = 0; q < out->n_levels; q++) {
        if (!(out->levels[q] >= 0 && out->levels[q] <= 1)) {
            return BML_NN_BAD_ARGUMENT;
        }
    }
    double *sorted = (double *)bml_nn__alloc(n_draws, sizeof *sorted);
    if (!sorted) {
        return BML_NN_NO_MEMORY;
    }
    for (size_t v = 0; v < n_values; v++) {
        bml_nn__summarize_value(out, draws, n_draws, n_values, v, sorted);
    }
    BML_NN_FREE(sorted);
    return BML_NN_OK;
}

BML_NN_DEF int bml_nn_vjp(const bml_nn *net, bml_nn_work *work, bml_nn_real *dx, bml_nn_real *y, const bml_nn_real *dy,
                          const bml_nn_real *x, size_t n) {
    bml_nn__job job = {x, dy, y, dx, BML_NN__PLAIN, -1, 0, 0};
    if (!n) {
        return BML_NN_OK;
    }
    int status = dy ? bml_nn__can_run(net, work, dx, x, n) : BML_NN_BAD_ARGUMENT;
    return status ? status : bml_nn__run(net, work, &job, n);
}

BML_NN_DEF int bml_nn_gradient(const bml_nn *net, bml_nn_work *work, bml_nn_real *dx, int output, const bml_nn_real *x,
                               size_t n) {
    bml_nn__job job = {x, NULL, NULL, dx, BML_NN__PLAIN, output, 0, 0};
    int status = bml_nn__can_run(net, work, dx, x, n);
    if (status) return status;
    if (output < 0 || output >= net->n_out) {
        return BML_NN_BAD_ARGUMENT;
    }
    return n ? bml_nn__run(net, work, &job, n) : BML_NN_OK;
}

/* >> losses
   Value and derivative in double, number by number or, for classes, row by row. */

static double bml_nn__squared_log_error(double *slope, double p, double y) {
    double log_p = log1p(p > 0 ? p : 0);
    double log_y = log1p(y > 0 ? y : 0);
    double d = log_p - log_y;
    *slope = p > 0 ? 2 * d / (1 + p) : 0;
    return p != p ? p : d * d;
}

#ifndef BML_NN_NO_TRAINING

static const double bml_nn__hold = 1e-7; /* probabilities are held this far from 0 and 1 */

static double bml_nn__held(double p) {
    p = p < bml_nn__hold ? bml_nn__hold : p;
    return p > 1 - bml_nn__hold ? 1 - bml_nn__hold : p;
}

static double bml_nn__binary_cross_entropy(double *slope, double p, double y) {
    double q = bml_nn__held(p);
    *slope = (q - y) / (q * (1 - q));
    return -y * log(q) - (1 - y) * log1p(-q);
}

static double bml_nn__binary_cross_entropy_logits(double *slope, double z, double y) {
    double q = exp(-fabs(z));
    *slope = (z >= 0 ? 1 / (1 + q) : q / (1 + q)) - y;
    return (z > 0 ? z : 0) - z * y + log1p(q);
}

/* Loss of one number and its derivative. */
static double bml_nn__element(double *slope, int loss, double p, double y) {
    switch (loss) {
    case BML_NN_MAE: *slope = (p > y) - (p < y); return fabs(p - y);
    case BML_NN_MSLE: return bml_nn__squared_log_error(slope, p, y);
    case BML_NN_BINARY: return bml_nn__binary_cross_entropy(slope, p, y);
    case BML_NN_BINARY_LOGITS: return bml_nn__binary_cross_entropy_logits(slope, p, y);
    default: *slope = 2 * (p - y); return (p - y) * (p - y);
    }
}

/* Cross-entropy of one row of classes, from probabilities; slope[n]. */
static double bml_nn__cross_entropy(bml_nn_real *slope, const bml_nn_real *p, const bml_nn_real *y, ptrdiff_t n) {
    double loss = 0;
    for (ptrdiff_t k = 0; k < n; k++) {
        double q = (double)p[k] < bml_nn__hold ? bml_nn__hold : (double)p[k];
        loss -= (double)y[k] * log(q);
        slope[k] = (bml_nn_real)(-(double)y[k] / q);
    }
    return loss;
}

/* The same from logits, through log-softmax. */
static double bml_nn__cross_entropy_logits(bml_nn_real *slope, const bml_nn_real *z, const bml_nn_real *y,
                                           ptrdiff_t n) {
    double top = (double)z[0];
    double sum = 0;
    double total = 0;
    double loss = 0;
    for (ptrdiff_t k = 1; k < n; k++) {
        top = (double)z[k] > top ? (double)z[k] : top;
    }
    for (ptrdiff_t k = 0; k < n; k++) {
        sum += exp((double)z[k] - top);
        total += (double)y[k];
    }
    for (ptrdiff_t k = 0; k < n; k++) {
        double log_p = (double)z[k] - top - log(sum);
        loss -= (double)y[k] * log_p;
        slope[k] = (bml_nn_real)(total * exp(log_p) - (double)y[k]);
    }
    return loss;
}

static int bml_nn__by_row(int loss) {
    return loss == BML_NN_CATEGORICAL || loss == BML_NN_CATEGORICAL_LOGITS;
}

static int bml_nn__is_binary(int loss) {
    return loss == BML_NN_BINARY || loss == BML_NN_BINARY_LOGITS;
}

static int bml_nn__has_classes(int loss) {
    return bml_nn__by_row(loss) || bml_nn__is_binary(loss);
}

/* Weight of number j of a row with target y. */
static double bml_nn__class_weight(const bml_nn_training *how, const bml_nn_real *y, ptrdiff_t j, ptrdiff_t n_out) {
    const double *w = how->class_weights;
    double sum = 0;
    if (!w) {
        return 1;
    }
    if (bml_nn__is_binary(how->loss) && n_out == 1) {
        return (double)y[0] * w[1] + (1 - (double)y[0]) * w[0];
    }
    if (!bml_nn__by_row(how->loss)) {
        return w[j];
    }
    for (ptrdiff_t k = 0; k < n_out; k++) {
        sum += (double)y[k] * w[k];
    }
    return sum;
}

/* Row i of a batch: adds its loss times weight, and its weight; writes the gradient times weight. */
static void bml_nn__row_loss(double *loss, double *total, const bml_nn_training *how, const bml_nn_batch *batch,
                             ptrdiff_t i) {
    const ptrdiff_t m = (ptrdiff_t)batch->n_out;
    const bml_nn_real *p = batch->prediction + i * m;
    const bml_nn_real *y = batch->target + i * m;
    bml_nn_real *g = batch->gradient + i * m;
    const double row = batch->weight ? (double)batch->weight[i] : 1;
    if (!bml_nn__by_row(how->loss)) {
        for (ptrdiff_t j = 0; j < m; j++) {
            double slope;
            double w = row * bml_nn__class_weight(how, y, j, m);
            *loss += w * bml_nn__element(&slope, how->loss, (double)p[j], (double)y[j]);
            g[j] = (bml_nn_real)(w * slope);
            *total += w;
        }
        return;
    }
    const int logits = how->loss == BML_NN_CATEGORICAL_LOGITS;
    double w = row * bml_nn__class_weight(how, y, 0, m);
    *loss += w * (logits ? bml_nn__cross_entropy_logits(g, p, y, m) : bml_nn__cross_entropy(g, p, y, m));
    for (ptrdiff_t j = 0; j < m; j++) {
        g[j] *= (bml_nn_real)w;
    }
    *total += w;
}

/* Loss and gradient[n][n_out] of a batch; *weight is the sum of its weights, for means over batches. */
static double bml_nn__loss(double *weight, const bml_nn_training *how, const bml_nn_batch *batch) {
    double loss = 0;
    double total = 0;
    if (how->loss == BML_NN_CUSTOM) {
        *weight = batch->n;
        return how->loss_fn(batch, how->loss_user);
    }
    for (ptrdiff_t i = 0; i < batch->n; i++) {
        bml_nn__row_loss(&loss, &total, how, batch, i);
    }
    *weight = total;
    if (!(total > 0)) {
        total = 1;
    }
    for (ptrdiff_t i = 0; i < batch->n * (ptrdiff_t)batch->n_out; i++) {
        batch->gradient[i] = (bml_nn_real)((double)batch->gradient[i] / total);
    }
    return loss / total;
}

static ptrdiff_t bml_nn__largest(const bml_nn_real *v, ptrdiff_t n) {
    ptrdiff_t at = 0;
    for (ptrdiff_t j = 1; j < n; j++) {
        at = v[j] > v[at] ? j : at;
    }
    return at;
}

/* Number of rows whose class is right; -1 where the loss knows no classes. Binary outputs count each. */
static double bml_nn__right(const bml_nn_training *how, const bml_nn_batch *batch) {
    const ptrdiff_t m = (ptrdiff_t)batch->n_out;
    const bml_nn_real half = how->loss == BML_NN_BINARY ? BML_NN__R(0.5) : 0;
    ptrdiff_t right = 0;
    if (bml_nn__is_binary(how->loss)) {
        for (ptrdiff_t i = 0; i < batch->n * m; i++) {
            right += (batch->prediction[i] > half) == (batch->target[i] > BML_NN__R(0.5));
        }
        return (double)right / (double)m;
    }
    if (!bml_nn__by_row(how->loss)) {
        return -1;
    }
    for (ptrdiff_t i = 0; i < batch->n; i++) {
        ptrdiff_t said = bml_nn__largest(batch->prediction + i * m, m);
        right += said == bml_nn__largest(batch->target + i * m, m);
    }
    return (double)right;
}

/* >> training
   Settings are checked by a table, data row by row. A batch is cut into blocks, one lane each; their gradients are
   added in order, so that threads do not change the result. */

struct bml_nn_trainer {
    bml_nn *net;
    bml_nn_training how;        /* with the defaults filled in */
    bml_nn_batch_step *batches; /* copy */
    ptrdiff_t *train;           /* rows trained on [n_train] */
    ptrdiff_t *held;            /* rows held back [n_held] */
    ptrdiff_t *order;           /* rows trained on, in the order of this epoch [n_train] */
    ptrdiff_t n_train;
    ptrdiff_t n_held;
    bml_nn__lane *lanes; /* [n_lanes], one a block */
    int n_lanes;
    int largest;             /* batch */
    bml_nn_real *prediction; /* [largest][n_out] of one batch */
    bml_nn_real *target;     /* [largest][n_out] */
    bml_nn_real *gradient;   /* [largest][n_out] */
    bml_nn_real *x;          /* [largest][n_in] */
    bml_nn_real *weight;     /* [largest] */
    bml_nn_real *m;          /* [n_params] optimiser */
    bml_nn_real *v;          /* [n_params] */
    bml_nn_real *best;       /* [n_params + n_running] best weights */
    bml_nn_real *good;       /* the same after the last good epoch */
    uint64_t step;           /* updates done */
    uint64_t steps;          /* and in all epochs */
    bml_nn_epoch last;
    int done;
};

BML_NN_DEF int bml_nn_train(bml_nn *net, const bml_nn_training *training, bml_nn_epoch *result) {
    bml_nn_trainer *t;
    int status = bml_nn_trainer_create(&t, net, training, NULL);
    if (!status) {
        status = bml_nn_trainer_run(t, 0);
    }
    if (t && result) {
        *result = bml_nn_trainer_last(t);
    }
    bml_nn_trainer_free(t);
    return status;
}

#define BML_NN__INT_SETTING(member, hi, zero) \
    { #member, offsetof(bml_nn_training, member), 1, 0, 0, hi, zero, 0 }
#define BML_NN__REAL_SETTING(member, open, hi, zero) \
    { #member, offsetof(bml_nn_training, member), 0, open, 0, hi, zero, 0 }

static const bml_nn__rule bml_nn__training_rules[] = {
    BML_NN__REAL_SETTING(learning_rate, 0, 1e9, 1e-3),
    BML_NN__REAL_SETTING(momentum, 1, 1, 0),
    BML_NN__REAL_SETTING(weight_decay, 0, 1e9, 0.01),
    BML_NN__REAL_SETTING(l2, 0, 1e9, 0),
    BML_NN__REAL_SETTING(clip, 0, 1e30, 0),
    BML_NN__REAL_SETTING(kl_weight, 0, 1e30, 1),
    BML_NN__REAL_SETTING(decay, 0, 1, 0),
    BML_NN__REAL_SETTING(validation, 0, 0.9, 0),
    BML_NN__INT_SETTING(loss, BML_NN_N_LOSSES - 1, 0),
    BML_NN__INT_SETTING(optimizer, BML_NN_N_OPTIMIZERS - 1, 0),
    BML_NN__INT_SETTING(schedule, BML_NN_N_SCHEDULES - 1, 0),
    BML_NN__INT_SETTING(period, 1e9, 10),
    BML_NN__INT_SETTING(warmup, 1e9, 0),
    BML_NN__INT_SETTING(batch, 1 << 24, 32),
    BML_NN__INT_SETTING(epochs, 1e9, 100),
    BML_NN__INT_SETTING(patience, 1e9, 0),
    BML_NN__INT_SETTING(first_epoch, 1e9, 1),
    BML_NN__INT_SETTING(threads, 1024, 1),
    BML_NN__INT_SETTING(block, 1 << 24, 0),
    BML_NN__INT_SETTING(n_batches, 1e6, 0),
};

static int bml_nn__check_batches(bml_nn *net, const bml_nn_training *t) {
    int epoch = 0;
    if (t->n_batches && !t->batches) {
        return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "batches = NULL");
    }
    for (int k = 0; k < t->n_batches; k++) {
        const bml_nn_batch_step *b = &t->batches[k];
        if (b->epoch <= epoch || b->batch < 1 || b->batch > 1 << 24) {
            return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT,
                                "batches[%d] = {%d, %d}: epochs must increase from 1, a batch be in [1, %d]", k,
                                b->epoch, b->batch, 1 << 24);
        }
        epoch = b->epoch;
    }
    return BML_NN_OK;
}

/* Checks the settings and fills in their defaults. */
static int bml_nn__check_settings(bml_nn *net, bml_nn_training *t) {
    char *message = net->message;
    for (size_t k = 0; k < sizeof bml_nn__training_rules / sizeof *bml_nn__training_rules; k++) {
        int status = bml_nn__apply(t, &bml_nn__training_rules[k], message, BML_NN_BAD_ARGUMENT, "");
        if (status) return status;
    }
    if (t->decay == 0 && t->schedule != BML_NN_COSINE) {
        t->decay = 0.1;
    }
    int status = bml_nn__check_batches(net, t);
    if (status) return status;
    size_t most = (size_t)(BML_NN__MOST / 64);
    if (!t->x || !t->n || (!t->y && t->loss != BML_NN_CUSTOM)) {
        return bml_nn__fail(message, BML_NN_BAD_ARGUMENT, "there are no data");
    }
    if (t->n > most / (size_t)net->n_in || t->n_val > most / (size_t)net->n_in) {
        return bml_nn__fail(message, BML_NN_TOO_LARGE, "n = %.0f rows", (double)t->n);
    }
    if (t->loss == BML_NN_CUSTOM && !t->loss_fn) {
        return bml_nn__fail(message, BML_NN_BAD_ARGUMENT, "a loss of your own needs loss_fn");
    }
    if (t->n_val && t->validation > 0) {
        return bml_nn__fail(message, BML_NN_BAD_ARGUMENT, "give a validation set or a share, not both");
    }
    if (t->n_val && (!t->x_val || (!t->y_val && t->y))) {
        return bml_nn__fail(message, BML_NN_BAD_ARGUMENT, "n_val = %.0f, but no x_val or y_val", (double)t->n_val);
    }
    return BML_NN_OK;
}

static int bml_nn__check_rows(bml_nn *net, const char *what, const bml_nn_real *a, size_t n, ptrdiff_t width) {
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n * width; i++) {
        if (!isfinite(a[i])) {
            return bml_nn__fail(net->message, BML_NN_BAD_DATA, "%s: row %.0f, column %.0f is not finite", what,
                                (double)(i / width), (double)(i % width));
        }
    }
    return BML_NN_OK;
}

/* Targets that the loss can take. */
static int bml_nn__check_targets(bml_nn *net, const bml_nn_training *how, const char *what, const bml_nn_real *y,
                                 size_t n) {
    const ptrdiff_t m = net->n_out;
    if (!y) {
        return BML_NN_OK;
    }
    int status = bml_nn__check_rows(net, what, y, n, m);
    if (status || !bml_nn__has_classes(how->loss)) {
        return status;
    }
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n * m; i++) {
        if (!(y[i] >= 0 && y[i] <= 1)) {
            return bml_nn__fail(net->message, BML_NN_BAD_DATA,
                                "%s: row %.0f, column %.0f: a cross-entropy takes targets in [0,1]", what,
                                (double)(i / m), (double)(i % m));
        }
    }
    return BML_NN_OK;
}

/* Classes of a row, or of a step of it, must add up to 1; shares are often rounded to three digits. */
static int bml_nn__check_shares(bml_nn *net, const char *what, const bml_nn_training *how, const bml_nn_real *y,
                                size_t n) {
    const ptrdiff_t whole = how->loss == BML_NN_CATEGORICAL_LOGITS ? net->n_out : net->nodes[net->n_nodes - 1].out;
    const ptrdiff_t groups = (ptrdiff_t)n * net->n_out / whole;
    for (ptrdiff_t i = 0; y && i < groups; i++) {
        double sum = 0;
        for (ptrdiff_t j = 0; j < whole; j++) {
            sum += (double)y[i * whole + j];
        }
        if (!(fabs(sum - 1) <= 1e-3 * (double)whole)) {
            return bml_nn__fail(net->message, BML_NN_BAD_DATA, "%s: row %.0f: the classes add up to %g, not 1", what,
                                (double)(i * whole / net->n_out), sum);
        }
    }
    return BML_NN_OK;
}

/* Activation of the last layer that has one, through layers that only pass numbers on; -1: not known. */
static int bml_nn__last_activation(const bml_nn *net) {
    int i = net->n_nodes - 1;
    while (net->nodes[i].spec.kind == BML_NN_FLATTEN || net->nodes[i].spec.kind == BML_NN_RESHAPE) {
        i = net->nodes[i].from[0];
    }
    const bml_nn_layer *l = &net->nodes[i].spec;
    return BML_NN__ACTIVE >> l->kind & 1 ? l->activation : -1;
}

/* A loss of probabilities wants them, a loss of logits does not. */
static int bml_nn__check_output(bml_nn *net, const bml_nn_training *how) {
    const int last = bml_nn__last_activation(net);
    const int probabilities = last == BML_NN_SIGMOID || last == BML_NN_SOFTMAX;
    const int logits = how->loss == BML_NN_BINARY_LOGITS || how->loss == BML_NN_CATEGORICAL_LOGITS;
    if (last < 0 || !bml_nn__has_classes(how->loss) || probabilities != logits) {
        return BML_NN_OK;
    }
    return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT,
                        logits
                            ? "loss = %d takes logits, but the last activation is %s: use the loss without _LOGITS"
                            : "loss = %d takes probabilities, but the last activation is %s: use sigmoid or softmax, "
                              "or the loss with _LOGITS",
                        how->loss, bml_nn__activations[last].name);
}

static int bml_nn__check_weights(bml_nn *net, const bml_nn_training *how) {
    double total = how->weights ? 0 : 1;
    for (size_t i = 0; how->weights && i < how->n; i++) {
        double w = (double)how->weights[i];
        if (!(w >= 0) || !isfinite(w)) {
            return bml_nn__fail(net->message, BML_NN_BAD_DATA, "weight of row %.0f = %g: must be 0 or more", (double)i,
                                w);
        }
        total += w;
    }
    if (!(total > 0)) {
        return bml_nn__fail(net->message, BML_NN_BAD_DATA, "the weights of all rows are 0");
    }
    if (!how->class_weights) {
        return BML_NN_OK;
    }
    if (!bml_nn__has_classes(how->loss)) {
        return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "class weights belong to the cross-entropies");
    }
    double classes = 0;
    int two = net->n_out == 1 && bml_nn__is_binary(how->loss);
    for (ptrdiff_t k = 0; k < net->n_out + two; k++) {
        double w = how->class_weights[k];
        if (!(w >= 0) || !isfinite(w)) {
            return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "class weight %d = %g: must be 0 or more", (int)k,
                                w);
        }
        classes += w;
    }
    return classes > 0 ? BML_NN_OK
                       : bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "the weights of all classes are 0");
}

/* x and y[n] of one kind of rows. */
static int bml_nn__check_set(bml_nn *net, const bml_nn_training *how, int validation) {
    const bml_nn_real *x = validation ? how->x_val : how->x;
    const bml_nn_real *y = validation ? how->y_val : how->y;
    const size_t n = validation ? how->n_val : how->n;
    const char *x_name = validation ? "x_val" : "x";
    const char *y_name = validation ? "y_val" : "y";
    int status = bml_nn__check_rows(net, x_name, x, n, net->n_in);
    if (!status) {
        status = bml_nn__check_targets(net, how, y_name, y, n);
    }
    if (!status && bml_nn__by_row(how->loss)) {
        status = bml_nn__check_shares(net, y_name, how, y, n);
    }
    if (status) return status;
    ptrdiff_t bad = bml_nn__bad_length(net, x, (ptrdiff_t)n);
    return bad < 0 ? BML_NN_OK
                   : bml_nn__fail(net->message, BML_NN_BAD_DATA, "%s: row %.0f: its length is no number of steps",
                                  x_name, (double)bad);
}

static int bml_nn__check_data(bml_nn *net, const bml_nn_training *how) {
    int status = bml_nn__check_output(net, how);
    if (!status) {
        status = bml_nn__check_set(net, how, 0);
    }
    if (!status && how->n_val) {
        status = bml_nn__check_set(net, how, 1);
    }
    return status ? status : bml_nn__check_weights(net, how);
}

/* Whether a batch of one row is none: batch norm would take its only row for the mean. */
static int bml_nn__needs_two(const bml_nn *net) {
    for (int i = 0; i < net->n_nodes; i++) {
        const bml_nn__node *n = &net->nodes[i];
        if (n->spec.kind == BML_NN_BATCH_NORM && n->steps == 1) {
            return 1;
        }
    }
    return 0;
}

/* Rows of the batch of size `batch` that begins with `left` rows left: a last single row joins the batch before. */
static int bml_nn__batch_rows(const bml_nn *net, ptrdiff_t left, int batch) {
    if (left <= batch) {
        return (int)left;
    }
    return left == batch + 1 && bml_nn__needs_two(net) ? batch + 1 : batch;
}

static int bml_nn__check_pairs(bml_nn_trainer *t) {
    bml_nn *net = t->net;
    if (!bml_nn__needs_two(net)) {
        return BML_NN_OK;
    }
    if (t->n_train < 2) {
        return bml_nn__fail(net->message, BML_NN_BAD_DATA, "batch norm needs two rows to train on, and there is one");
    }
    for (int i = -1; i < t->how.n_batches; i++) {
        if ((i < 0 ? t->how.batch : t->how.batches[i].batch) == 1) {
            return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "batch = 1: batch norm needs two rows or more");
        }
    }
    return BML_NN_OK;
}

static int bml_nn__batch_at(const bml_nn_trainer *t, int epoch) {
    int batch = t->how.batch;
    for (int i = 0; i < t->how.n_batches; i++) {
        if (epoch >= t->batches[i].epoch) {
            batch = t->batches[i].batch;
        }
    }
    return batch;
}

static int bml_nn__block_of(const bml_nn_trainer *t, int batch) {
    int eighth = (batch + 7) / 8;
    int block = eighth > 32 ? eighth : 32;
    if (t->how.block) {
        block = t->how.block;
    }
    for (int i = 0; i < t->net->n_nodes; i++) {
        if (t->net->nodes[i].spec.kind == BML_NN_BATCH_NORM) {
            return batch;
        }
    }
    return block < batch ? block : batch;
}

/* Counts what the batches need: largest, n_lanes; returns the rows of a lane. */
static int bml_nn__measure(bml_nn_trainer *t) {
    const ptrdiff_t held = t->n_held + (ptrdiff_t)t->how.n_val;
    const ptrdiff_t most = t->n_train > held ? t->n_train : held; /* no batch has more rows */
    int rows = 1;
    for (int i = -1; i < t->how.n_batches; i++) {
        int batch = i < 0 ? t->how.batch : t->how.batches[i].batch;
        batch += bml_nn__needs_two(t->net);
        if (batch > most) {
            batch = (int)most;
        }
        int block = bml_nn__block_of(t, batch);
        int lanes = (batch + block - 1) / block;
        t->largest = batch > t->largest ? batch : t->largest;
        t->n_lanes = lanes > t->n_lanes ? lanes : t->n_lanes;
        rows = block > rows ? block : rows;
    }
    return rows;
}

/* The trainer's place in its block, from a plan that has counts but no memory. */
static bml_nn_trainer *bml_nn__lay_trainer(bml_nn__arena *a, const bml_nn_trainer *plan, int rows) {
    const bml_nn *net = plan->net;
    const ptrdiff_t weights = net->n_params + net->n_running;
    bml_nn_trainer unplaced = *plan;
    bml_nn_trainer *made = (bml_nn_trainer *)bml_nn__take(a, 1, sizeof *made);
    bml_nn_trainer *t = made ? made : &unplaced;
    *t = *plan;
    t->batches = (bml_nn_batch_step *)bml_nn__take(a, t->how.n_batches, sizeof *t->batches);
    t->train = (ptrdiff_t *)bml_nn__take(a, t->n_train + t->n_held, sizeof *t->train);
    t->order = (ptrdiff_t *)bml_nn__take(a, t->n_train, sizeof *t->order);
    t->prediction = bml_nn__take_reals(a, t->largest * net->n_out);
    t->target = bml_nn__take_reals(a, t->largest * net->n_out);
    t->gradient = bml_nn__take_reals(a, t->largest * net->n_out);
    t->x = bml_nn__take_reals(a, t->largest * net->n_in);
    t->weight = bml_nn__take_reals(a, t->largest);
    t->m = bml_nn__take_reals(a, net->n_params);
    t->v = bml_nn__take_reals(a, net->n_params);
    t->best = bml_nn__take_reals(a, weights);
    t->good = bml_nn__take_reals(a, weights);
    t->lanes = (bml_nn__lane *)bml_nn__take(a, t->n_lanes, sizeof *t->lanes);
    for (int i = 0; i < t->n_lanes; i++) {
        bml_nn__lane counted;
        bml_nn__lane *lane = made ? &t->lanes[i] : &counted;
        bml_nn__lay_lane(lane, a, net, rows);
        bml_nn__lay_backward(lane, a, net, 1);
    }
    return made;
}

/* Rows to train on and rows held back: the first n_held of a shuffled order. train[] is room for all. */
static void bml_nn__divide(bml_nn_trainer *t) {
    const ptrdiff_t n = t->n_train + t->n_held;
    if (t->n_held) {
        bml_nn__shuffle(t->train, n, t->how.seed, 0);
    }
    for (ptrdiff_t i = 0; !t->n_held && i < n; i++) {
        t->train[i] = i;
    }
    t->held = t->train;
    t->train += t->n_held;
}

static void bml_nn__keep(bml_nn_real *to, const bml_nn *net) {
    bml_nn__copy(to, net->params, net->n_params);
    bml_nn__copy(to + net->n_params, net->running, net->n_running);
}

static void bml_nn__restore(bml_nn *net, const bml_nn_real *from) {
    bml_nn__copy(net->params, from, net->n_params);
    bml_nn__copy(net->running, from + net->n_params, net->n_running);
}

/* Updates of an epoch with batches of that size. */
static uint64_t bml_nn__steps_of(const bml_nn_trainer *t, int batch) {
    const ptrdiff_t whole = t->n_train / batch;
    const ptrdiff_t left = t->n_train % batch;
    const int joins = left == 1 && whole > 0 && bml_nn__needs_two(t->net);
    return (uint64_t)(whole + (left > 0 && !joins));
}

/* Makes the trainer of a plan whose settings are checked. */
static int bml_nn__build_trainer(bml_nn_trainer **out, bml_nn_trainer *plan) {
    const bml_nn_training *h = &plan->how;
    bml_nn__arena a = {NULL, 0};
    ptrdiff_t product;
    plan->n_held = (ptrdiff_t)(h->validation * (double)h->n + 0.5);
    if (h->validation > 0 && plan->n_held == 0) {
        plan->n_held = 1;
    }
    plan->n_train = (ptrdiff_t)h->n - plan->n_held;
    if (plan->n_train < 1) {
        return bml_nn__fail(plan->net->message, BML_NN_BAD_ARGUMENT, "no row is left to train on");
    }
    int status = bml_nn__check_pairs(plan);
    if (status) return status;
    int rows = bml_nn__measure(plan);
    if (!bml_nn__mul(&product, plan->largest, plan->net->n_out)) {
        return BML_NN_TOO_LARGE;
    }
    if (!bml_nn__mul(&product, plan->largest, plan->net->n_in)) {
        return BML_NN_TOO_LARGE;
    }
    bml_nn__lay_trainer(&a, plan, rows);
    status = bml_nn__make_block(&a);
    if (status) return status;
    bml_nn_trainer *t = bml_nn__lay_trainer(&a, plan, rows);
    if (h->n_batches) {
        memcpy(t->batches, h->batches, bml_nn__bytes(h->n_batches, sizeof *t->batches));
    }
    bml_nn__divide(t);
    for (int e = 1; e <= h->epochs; e++) {
        t->steps += bml_nn__steps_of(t, bml_nn__batch_at(t, e));
    }
    *out = t;
    return BML_NN_OK;
}

static bml_nn_epoch bml_nn__no_epoch(int last) {
    bml_nn_epoch e;
    memset(&e, 0, sizeof e);
    e.last = last;
    e.best_loss = HUGE_VAL;
    e.loss = BML_NN__NAN;
    e.penalty = BML_NN__NAN;
    e.val_loss = BML_NN__NAN;
    e.accuracy = BML_NN__NAN;
    e.val_accuracy = BML_NN__NAN;
    return e;
}

BML_NN_DEF int(bml_nn_trainer_create)(bml_nn_trainer **out, bml_nn *net, const bml_nn_training *training, char *why) {
    bml_nn_trainer plan;
    if (out) {
        *out = NULL;
    }
    if (!out || !net || !training) {
        return bml_nn__reason(why, BML_NN_BAD_ARGUMENT, "a trainer needs a net, its training, and a place");
    }
    memset(&plan, 0, sizeof plan);
    net->message[0] = 0;
    plan.net = net;
    plan.how = *training;
    int status = bml_nn__check_settings(net, &plan.how);
    if (!status) {
        status = bml_nn__check_data(net, &plan.how);
    }
    plan.last = bml_nn__no_epoch(plan.how.epochs);
    if (!status) {
        status = bml_nn__build_trainer(out, &plan);
    }
    return bml_nn__reason(why, status, net->message);
}

BML_NN_DEF void bml_nn_trainer_free(bml_nn_trainer *t) {
    BML_NN_FREE(t);
}

/* What a loss sees of rows[b] that have run forward. */
static bml_nn_batch bml_nn__batch_of(bml_nn_trainer *t, const bml_nn_real *x, const bml_nn_real *y,
                                     const ptrdiff_t *rows, int b) {
    const bml_nn *net = t->net;
    const ptrdiff_t m = net->n_out;
    const int weighted = t->how.weights && x == t->how.x;
    for (ptrdiff_t r = 0; r < b; r++) {
        for (ptrdiff_t j = 0; y && j < m; j++) {
            bml_nn_real v = y[rows[r] * m + j];
            t->target[r * m + j] = net->scale[1] ? (v - net->shift[1][j]) / net->scale[1][j] : v;
        }
        if (weighted) {
            t->weight[r] = t->how.weights[rows[r]];
        }
        if (t->how.loss == BML_NN_CUSTOM) {
            bml_nn__copy(t->x + r * net->n_in, x + rows[r] * net->n_in, net->n_in);
        }
    }
    bml_nn_batch batch;
    batch.gradient = t->gradient;
    batch.prediction = t->prediction;
    batch.target = y ? t->target : NULL;
    batch.x = t->x;
    batch.weight = weighted ? t->weight : NULL;
    batch.n = b;
    batch.n_in = (size_t)net->n_in;
    batch.n_out = (size_t)m;
    return batch;
}

/* Runs b rows forward in blocks, one lane each, and collects what the loss sees. */
static bml_nn_batch bml_nn__run_batch(bml_nn_trainer *t, const bml_nn_real *x, const bml_nn_real *y,
                                      const ptrdiff_t *rows, int b, int mode) {
    const bml_nn *net = t->net;
    int block = bml_nn__block_of(t, b);
    if (block > t->lanes[0].rows) {
        block = t->lanes[0].rows;
    }
    int blocks = (b + block - 1) / block;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(t->how.threads) if (t->how.threads > 1 && blocks > 1)
#endif
    for (int i = 0; i < blocks; i++) {
        bml_nn__lane *lane = &t->lanes[i];
        int left = b - i * block;
        lane->mode = mode;
        lane->seed = t->how.seed;
        lane->step = (uint32_t)t->step;
        lane->first = (ptrdiff_t)i * block;
        bml_nn__forward(net, lane, x, rows + lane->first, left < block ? left : block);
        bml_nn__output_rows(t->prediction + lane->first * net->n_out, net, lane);
    }
    return bml_nn__batch_of(t, x, y, rows, b);
}

/* Adds KL of the Bayesian tensor i (kernel or bias; its rho stands two tensors further), with its gradient. */
static void bml_nn__add_kl(double *sum, const bml_nn_trainer *t, bml_nn_real *g, int i) {
    const bml_nn *net = t->net;
    const bml_nn__tensor *s = &net->tensors[i];
    const double scale = t->how.kl_weight / (double)t->n_train;
    const double p = net->nodes[s->node].spec.prior_sd;
    for (ptrdiff_t k = 0; k < s->count; k++) {
        const ptrdiff_t at = s->offset + k;
        const ptrdiff_t r = net->tensors[i + 2].offset + k;
        double rho = (double)net->params[r];
        double sd = rho > 30 ? rho : log1p(exp(rho));
        double mean = (double)net->params[at];
        *sum += scale * (log(p / sd) + (sd * sd + mean * mean) / (2 * p * p) - 0.5);
        g[at] += (bml_nn_real)(scale * mean / (p * p));
        g[r] += (bml_nn_real)(scale * (sd / (p * p) - 1 / sd) / (1 + exp(-rho)));
    }
}

static void bml_nn__add_l2(double *sum, const bml_nn_trainer *t, bml_nn_real *g, const bml_nn__tensor *s) {
    const bml_nn_real twice = (bml_nn_real)(2 * t->how.l2);
    const bml_nn_real *w = t->net->params;
    for (ptrdiff_t k = s->offset; k < s->offset + s->count; k++) {
        *sum += t->how.l2 * (double)w[k] * (double)w[k];
        g[k] += twice * w[k];
    }
}

/* The gradients of all blocks, added in order into the first lane's; then L2, KL. Returns what these add to the
   loss. */
static double bml_nn__collect(bml_nn_trainer *t, int blocks) {
    const bml_nn *net = t->net;
    bml_nn_real *g = t->lanes[0].grad;
    double penalty = 0;
    for (int i = 1; i < blocks; i++) {
        const bml_nn_real *h = t->lanes[i].grad;
        for (ptrdiff_t k = 0; k < net->n_params; k++) {
            g[k] += h[k];
        }
    }
    for (int i = 0; i < net->n_tensors; i++) {
        const bml_nn__tensor *s = &net->tensors[i];
        const int bayes = net->nodes[s->node].spec.kind == BML_NN_BAYES;
        const int weights = s->start == BML_NN__KERNEL || s->start == BML_NN__ORTHOGONAL;
        if (bayes && s->start != BML_NN__RHO) {
            bml_nn__add_kl(&penalty, t, g, i);
        }
        if (!bayes && weights && t->how.l2 > 0) {
            bml_nn__add_l2(&penalty, t, g, s);
        }
    }
    return penalty;
}

static double bml_nn__norm(const bml_nn_real *g, ptrdiff_t n) {
    double partial[16] = {0};
    double sum = 0;
    ptrdiff_t k = 0;
    for (; k + 16 <= n; k += 16) {
        for (int j = 0; j < 16; j++) {
            partial[j] += (double)g[k + j] * (double)g[k + j];
        }
    }
    for (; k < n; k++) {
        sum += (double)g[k] * (double)g[k];
    }
    for (int j = 0; j < 16; j++) {
        sum += partial[j];
    }
    return sqrt(sum);
}

typedef struct bml_nn__update { /* one step of an optimiser on parameters [from, to), gradient times factor */
    ptrdiff_t from;
    ptrdiff_t to;
    double rate;
    double factor;
} bml_nn__update;

static void bml_nn__sgd(bml_nn_trainer *t, const bml_nn__update *u) {
    bml_nn_real *BML_NN__RESTRICT w = t->net->params;
    bml_nn_real *BML_NN__RESTRICT m = t->m;
    const bml_nn_real *BML_NN__RESTRICT g = t->lanes[0].grad;
    const bml_nn_real f = (bml_nn_real)u->factor;
    const bml_nn_real rate = (bml_nn_real)u->rate;
    const bml_nn_real momentum = (bml_nn_real)t->how.momentum;
    for (ptrdiff_t k = u->from; k < u->to; k++) {
        m[k] = momentum * m[k] + f * g[k];
        w[k] -= rate * m[k];
    }
}

static void bml_nn__rmsprop(bml_nn_trainer *t, const bml_nn__update *u) {
    bml_nn_real *BML_NN__RESTRICT w = t->net->params;
    bml_nn_real *BML_NN__RESTRICT v = t->v;
    const bml_nn_real *BML_NN__RESTRICT g = t->lanes[0].grad;
    const bml_nn_real f = (bml_nn_real)u->factor;
    const bml_nn_real rate = (bml_nn_real)u->rate;
    const bml_nn_real eps = BML_NN__R(1e-8);
    for (ptrdiff_t k = u->from; k < u->to; k++) {
        bml_nn_real d = f * g[k];
        v[k] = BML_NN__R(0.99) * v[k] + BML_NN__R(0.01) * d * d;
        w[k] -= rate * d / ((bml_nn_real)sqrt((double)v[k]) + eps);
    }
}

/* Adam, and AdamW, whose weights decay first. */
static void bml_nn__adam(bml_nn_trainer *t, const bml_nn__update *u) {
    bml_nn_real *BML_NN__RESTRICT w = t->net->params;
    bml_nn_real *BML_NN__RESTRICT m = t->m;
    bml_nn_real *BML_NN__RESTRICT v = t->v;
    const bml_nn_real *BML_NN__RESTRICT g = t->lanes[0].grad;
    const double k1 = 1 - pow(0.9, (double)(t->step + 1));
    const double k2 = 1 - pow(0.999, (double)(t->step + 1));
    const double decay = t->how.optimizer == BML_NN_ADAMW ? u->rate * t->how.weight_decay : 0;
    const bml_nn_real f = (bml_nn_real)u->factor;
    const bml_nn_real eps = BML_NN__R(1e-8);
    const bml_nn_real a = (bml_nn_real)(u->rate / k1);
    const bml_nn_real c = (bml_nn_real)(1 / sqrt(k2));
    const bml_nn_real keep = (bml_nn_real)(1 - decay);
    for (ptrdiff_t k = u->from; k < u->to; k++) {
        bml_nn_real d = f * g[k];
        m[k] = BML_NN__R(0.9) * m[k] + BML_NN__R(0.1) * d;
        v[k] = BML_NN__R(0.999) * v[k] + BML_NN__R(0.001) * d * d;
        w[k] = w[k] * keep - a * m[k] / ((bml_nn_real)sqrt((double)v[k]) * c + eps);
    }
}

/* The whole step, elementwise, so that any thread may take any share. */
static void bml_nn__update_all(bml_nn_trainer *t, double rate, double factor) {
    const ptrdiff_t n = t->net->n_params;
    const int shares = n < 65536 ? 1 : t->how.threads;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(shares) if (shares > 1)
#endif
    for (int i = 0; i < shares; i++) {
        const bml_nn__update u = {n * i / shares, n * (i + 1) / shares, rate, factor};
        if (t->how.optimizer == BML_NN_SGD) {
            bml_nn__sgd(t, &u);
        } else if (t->how.optimizer == BML_NN_RMSPROP) {
            bml_nn__rmsprop(t, &u);
        } else {
            bml_nn__adam(t, &u);
        }
    }
}

static double bml_nn__rate(const bml_nn_trainer *t) {
    const bml_nn_training *h = &t->how;
    const double epoch = t->last.epoch; /* epochs that are over */
    const double course = (double)t->step / (double)t->steps;
    double rate = h->learning_rate;
    if (h->schedule == BML_NN_STEP) {
        rate *= pow(h->decay, floor(epoch / h->period));
    }
    if (h->schedule == BML_NN_EXPONENTIAL) {
        rate *= pow(h->decay, epoch / h->period);
    }
    if (h->schedule == BML_NN_COSINE) {
        rate *= h->decay + (1 - h->decay) * 0.5 * (1 + cos(3.141592653589793 * course));
    }
    if (t->step < (uint64_t)h->warmup) {
        rate *= (double)(t->step + 1) / h->warmup;
    }
    return rate;
}

/* Backward through the blocks of the batch that has just run forward, and one update. Returns the gradient's norm; the
   penalties are added to *loss. */
static double bml_nn__learn(bml_nn_trainer *t, int b, double *loss) {
    bml_nn *net = t->net;
    const int block = bml_nn__block_of(t, b);
    const int blocks = (b + block - 1) / block;
    const double rate = bml_nn__rate(t);
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(t->how.threads) if (t->how.threads > 1 && blocks > 1)
#endif
    for (int i = 0; i < blocks; i++) {
        bml_nn__lane *lane = &t->lanes[i];
        bml_nn__gradient_rows(net, lane, t->gradient + lane->first * net->n_out);
        bml_nn__backward(net, lane);
    }
    *loss += bml_nn__collect(t, blocks);
    double norm = bml_nn__norm(t->lanes[0].grad, net->n_params);
    double factor = t->how.clip > 0 && norm > t->how.clip ? t->how.clip / norm : 1;
    bml_nn__update_all(t, rate, factor);
    bml_nn__copy(net->running, t->lanes[0].running, net->n_running);
    t->last.learning_rate = rate;
    t->step++;
    return norm;
}

typedef struct bml_nn__sums { /* over the batches of an epoch */
    double loss;              /* times weight */
    double penalty;           /* times weight */
    double weight;
    double right;
    double norm;
    double batches;
} bml_nn__sums;

static double bml_nn__accuracy(const bml_nn_training *h, double right, ptrdiff_t n) {
    return bml_nn__has_classes(h->loss) ? right / (double)n : BML_NN__NAN;
}

/* Loss and accuracy over the validation rows. */
static void bml_nn__validate(bml_nn_trainer *t) {
    const bml_nn_training *h = &t->how;
    const bml_nn_real *x = h->n_val ? h->x_val : h->x;
    const bml_nn_real *y = h->n_val ? h->y_val : h->y;
    const ptrdiff_t n = h->n_val ? (ptrdiff_t)h->n_val : t->n_held;
    bml_nn__sums s = {0, 0, 0, 0, 0, 0};
    ptrdiff_t own[64];
    ptrdiff_t most = t->largest;
    if (!n) {
        return;
    }
    if (h->n_val && most > 64) {
        most = 64;
    }
    for (ptrdiff_t at = 0; at < n; at += most) {
        ptrdiff_t b = n - at < most ? n - at : most;
        for (ptrdiff_t i = 0; h->n_val && i < b; i++) {
            own[i] = at + i;
        }
        const ptrdiff_t *rows = h->n_val ? own : t->held + at;
        bml_nn_batch batch = bml_nn__run_batch(t, x, y, rows, (int)b, BML_NN__PLAIN);
        double weight;
        double value = bml_nn__loss(&weight, h, &batch);
        s.loss += weight * value;
        s.weight += weight;
        s.right += batch.target ? bml_nn__right(h, &batch) : 0;
    }
    t->last.val_loss = s.loss / s.weight;
    t->last.val_accuracy = bml_nn__accuracy(h, s.right, n);
}

/* The order of an epoch's rows. */
static void bml_nn__order(bml_nn_trainer *t, int epoch) {
    const bml_nn_training *h = &t->how;
    if (!h->in_order) {
        bml_nn__shuffle(t->order, t->n_train, h->seed, (uint64_t)epoch);
    }
    for (ptrdiff_t i = 0; i < t->n_train; i++) {
        t->order[i] = t->train[h->in_order ? i : t->order[i]];
    }
}

/* One batch: rows order[at] ... Returns 0 when the loss or its gradient is not finite. */
static int bml_nn__train_batch(bml_nn_trainer *t, bml_nn__sums *s, ptrdiff_t at, int b) {
    const bml_nn_training *h = &t->how;
    bml_nn_batch batch = bml_nn__run_batch(t, h->x, h->y, t->order + at, b, BML_NN__TRAIN);
    double weight;
    double value = bml_nn__loss(&weight, h, &batch);
    if (isfinite(value)) {
        s->right += batch.target ? bml_nn__right(h, &batch) : 0;
        const double data = value;
        s->norm += bml_nn__learn(t, b, &value);
        s->penalty += weight * (value - data);
    }
    s->loss += weight * value;
    s->weight += weight;
    s->batches++;
    return isfinite(value) && isfinite(s->norm);
}

/* Keeps the weights if the epoch that has just ended is the best; tells when training ends. */
static void bml_nn__judge(bml_nn_trainer *t) {
    const bml_nn_training *h = &t->how;
    const int epoch = t->last.epoch;
    const int judged = h->n_val || t->n_held;
    const double value = judged ? t->last.val_loss : t->last.loss;
    if (epoch >= h->first_epoch && value < t->last.best_loss) {
        t->last.best_loss = value;
        t->last.best_epoch = epoch;
        bml_nn__keep(t->best, t->net);
    }
    int since = t->last.best_epoch > h->first_epoch ? t->last.best_epoch : h->first_epoch;
    int tired = h->patience && epoch >= h->first_epoch && epoch - since >= h->patience;
    t->done = epoch >= h->epochs || tired;
}

/* One epoch. A loss that is not finite gives back the weights of the last good one. */
static int bml_nn__epoch(bml_nn_trainer *t) {
    const int epoch = t->last.epoch + 1;
    const int size = bml_nn__batch_at(t, epoch);
    bml_nn__sums s = {0, 0, 0, 0, 0, 0};
    bml_nn__keep(t->good, t->net);
    bml_nn__order(t, epoch);
    int b;
    for (ptrdiff_t at = 0; at < t->n_train; at += b) {
        b = bml_nn__batch_rows(t->net, t->n_train - at, size);
        if (bml_nn__train_batch(t, &s, at, b)) {
            continue;
        }
        bml_nn__restore(t->net, t->good);
        t->done = 1;
        return bml_nn__fail(
            t->net->message, BML_NN_NAN,
            "epoch %d: the loss or its gradient is not finite at batch %.0f; the weights are those after epoch %d",
            epoch, s.batches, epoch - 1);
    }
    t->last.epoch = epoch;
    t->last.batch = size;
    t->last.loss = s.weight > 0 ? s.loss / s.weight : 0;
    t->last.penalty = s.weight > 0 ? s.penalty / s.weight : 0;
    t->last.gradient_norm = s.norm / s.batches;
    t->last.accuracy = bml_nn__accuracy(&t->how, s.right, t->n_train);
    bml_nn__validate(t);
    bml_nn__judge(t);
    return BML_NN_OK;
}

BML_NN_DEF int bml_nn_trainer_run(bml_nn_trainer *t, int epochs) {
    int status = BML_NN_OK;
    if (!t || epochs < 0) {
        return BML_NN_BAD_ARGUMENT;
    }
    const bml_nn_training *h = &t->how;
    if (!epochs) {
        epochs = h->epochs;
    }
    const int ran = !t->done;
    while (!status && !t->done && epochs > 0) {
        epochs--;
        status = bml_nn__epoch(t);
        if (!status && h->callback && h->callback(&t->last, h->user)) {
            t->done = 1;
            status = bml_nn__fail(t->net->message, BML_NN_CANCELLED, "after epoch %d", t->last.epoch);
        }
    }
    int judged = h->n_val || t->n_held;
    int best = ran && t->done && !h->keep_last && judged && t->last.best_epoch;
    if (status != BML_NN_NAN && best) {
        bml_nn__restore(t->net, t->best);
    }
    return status;
}

BML_NN_DEF int bml_nn_trainer_done(const bml_nn_trainer *t) {
    return t ? t->done : 1;
}

BML_NN_DEF bml_nn_epoch bml_nn_trainer_last(const bml_nn_trainer *t) {
    return t ? t->last : bml_nn__no_epoch(0);
}

#endif /* BML_NN_NO_TRAINING */

/* >> splits and metrics */

static double bml_nn__share(const double *shares, int which) {
    return shares ? shares[which] : 1;
}

/* The set that is owed most, after each is owed its share of one more row. */
static int bml_nn__next_set(double *owed, const double *shares, int n_sets, double total) {
    int best = 0;
    for (int p = 0; p < n_sets; p++) {
        owed[p] += bml_nn__share(shares, p) / total;
    }
    for (int p = 1; p < n_sets; p++) {
        best = owed[p] > owed[best] ? p : best;
    }
    owed[best] -= 1;
    return best;
}

BML_NN_DEF int bml_nn_split(int *set, const double *shares, int n_sets, const int *labels, size_t n, uint64_t seed) {
    const ptrdiff_t rows = (ptrdiff_t)n;
    bml_nn__arena a = {NULL, 0};
    double total = 0;
    if (!set || n_sets < 1 || n < (size_t)n_sets) {
        return BML_NN_BAD_ARGUMENT;
    }
    for (int p = 0; p < n_sets; p++) {
        double share = bml_nn__share(shares, p);
        if (!(share > 0 && share < HUGE_VAL)) {
            return BML_NN_BAD_ARGUMENT;
        }
        total += share;
    }
    bml_nn__take(&a, rows, sizeof(ptrdiff_t));
    bml_nn__take(&a, n_sets, sizeof(double));
    int status = bml_nn__make_block(&a);
    if (status) return status;
    ptrdiff_t *order = (ptrdiff_t *)bml_nn__take(&a, rows, sizeof *order);
    double *owed = (double *)bml_nn__take(&a, n_sets, sizeof *owed);
    bml_nn__shuffle(order, rows, seed, 1);
    for (ptrdiff_t i = 0; i < rows; i++) {
        set[i] = -1;
    }
    for (ptrdiff_t first = 0; first < rows; first++) { /* label by label */
        if (set[order[first]] >= 0) {
            continue;
        }
        for (ptrdiff_t i = first; i < rows; i++) {
            ptrdiff_t row = order[i];
            int same = !labels || labels[row] == labels[order[first]];
            if (same && set[row] < 0) {
                set[row] = bml_nn__next_set(owed, shares, n_sets, total);
            }
        }
    }
    BML_NN_FREE(a.base);
    return BML_NN_OK;
}

/* Metrics of one output: every n_out-th number. */
static bml_nn_metrics bml_nn__measure_output(const bml_nn_real *prediction, const bml_nn_real *target, size_t n,
                                             size_t n_out) {
    bml_nn_metrics m = {0, 0, 0, 0};
    double first = (double)target[0];
    double above = 0; /* the mean above the first, so that equal targets have no spread, not that of rounding */
    double spread = 0;
    for (size_t i = 0; i < n; i++) {
        above += (double)target[i * n_out] - first;
    }
    double mean = first + above / (double)n;
    for (size_t i = 0; i < n; i++) {
        double p = (double)prediction[i * n_out];
        double y = (double)target[i * n_out];
        double slope;
        spread += (y - mean) * (y - mean);
        m.mse += (p - y) * (p - y);
        m.mae += fabs(p - y);
        m.msle += bml_nn__squared_log_error(&slope, p, y);
    }
    m.r2 = spread > 0 ? 1 - m.mse / spread : BML_NN__NAN;
    m.mse /= (double)n;
    m.mae /= (double)n;
    m.msle /= (double)n;
    return m;
}

BML_NN_DEF int bml_nn_evaluate(bml_nn_metrics *out, const bml_nn_real *prediction, const bml_nn_real *target, size_t n,
                               size_t n_out) {
    bml_nn_metrics all = {0, 0, 0, 0};
    if (!out || !prediction || !target || !n || !n_out) {
        return BML_NN_BAD_ARGUMENT;
    }
    for (size_t j = 0; j < n_out; j++) {
        out[j] = bml_nn__measure_output(prediction + j, target + j, n, n_out);
        all.r2 += out[j].r2 / (double)n_out;
        all.mse += out[j].mse / (double)n_out;
        all.mae += out[j].mae / (double)n_out;
        all.msle += out[j].msle / (double)n_out;
    }
    out[n_out] = all;
    return BML_NN_OK;
}

/* to[n] = from[n], sorted; 0 if one is NaN. */
static int bml_nn__sorted(double *to, const bml_nn_real *from, size_t n) {
    for (size_t k = 0; k < n; k++) {
        to[k] = (double)from[k];
        if (from[k] != from[k]) {
            return 0;
        }
    }
    qsort(to, n, sizeof *to, bml_nn__compare_doubles);
    return 1;
}

BML_NN_DEF int bml_nn_ks(double *distance, const bml_nn_real *a, size_t n, const bml_nn_real *b, size_t m) {
    double worst = 0;
    size_t i = 0;
    size_t j = 0;
    if (!distance || !a || !b || !n || !m || n > (size_t)BML_NN__MOST / 16 - m) {
        return BML_NN_BAD_ARGUMENT;
    }
    double *s = (double *)bml_nn__alloc((ptrdiff_t)(n + m), sizeof *s);
    if (!s) {
        return BML_NN_NO_MEMORY;
    }
    double *t = s + n;
    if (!bml_nn__sorted(s, a, n) || !bml_nn__sorted(t, b, m)) {
        BML_NN_FREE(s);
        return BML_NN_BAD_ARGUMENT;
    }
    while (i < n && j < m) {
        double v = s[i] < t[j] ? s[i] : t[j];
        while (i < n && s[i] <= v) {
            i++;
        }
        while (j < m && t[j] <= v) {
            j++;
        }
        double gap = fabs((double)i / (double)n - (double)j / (double)m);
        worst = gap > worst ? gap : worst;
    }
    BML_NN_FREE(s);
    *distance = worst;
    return BML_NN_OK;
}

/* Row i of the table of costs, from the row before it; cost[m]. */
static void bml_nn__dtw_row(double *cost, double a, const bml_nn_real *b, ptrdiff_t m, int first) {
    double left = HUGE_VAL;
    double corner = HUGE_VAL;
    for (ptrdiff_t j = 0; j < m; j++) {
        double d = a - (double)b[j];
        double above = first ? HUGE_VAL : cost[j];
        double best = left < above ? left : above;
        best = corner < best ? corner : best;
        if (first && j == 0) {
            best = 0;
        }
        corner = above;
        left = best + d * d;
        cost[j] = left;
    }
}

BML_NN_DEF int bml_nn_dtw(double *distance, const bml_nn_real *a, size_t n, const bml_nn_real *b, size_t m) {
    if (!distance || !a || !b || !n || !m) {
        return BML_NN_BAD_ARGUMENT;
    }
    double *cost = (double *)bml_nn__alloc((ptrdiff_t)m, sizeof *cost);
    if (!cost) {
        return BML_NN_NO_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        bml_nn__dtw_row(cost, (double)a[i], b, (ptrdiff_t)m, i == 0);
    }
    *distance = sqrt(cost[m - 1]);
    BML_NN_FREE(cost);
    return *distance == *distance ? BML_NN_OK : BML_NN_BAD_ARGUMENT;
}

#ifndef BML_NN_NO_FILES

/* >> writing files
   safetensors: 8 bytes of header length, a JSON header, the tensors one after another, little endian on any machine. */

typedef struct bml_nn__buffer {
    unsigned char *p;
    size_t n;
    size_t room;
    int failed; /* out of memory: what follows is dropped */
} bml_nn__buffer;

/* p[n] in a block of `room` bytes, doubled until `more` fit; NULL, and p is as it was, without memory. */
static void *bml_nn__grow(void *p, size_t n, size_t *room, size_t more) {
    const size_t most = (size_t)BML_NN__MOST / 4;
    if (more <= *room - n) {
        return p;
    }
    if (n > most || more > most) {
        return NULL;
    }
    size_t want = 2 * (n + more);
    void *q = BML_NN_MALLOC(want);
    if (!q) {
        return NULL;
    }
    if (n) {
        memcpy(q, p, n);
    }
    BML_NN_FREE(p);
    *room = want;
    return q;
}

static void bml_nn__put(bml_nn__buffer *b, const void *data, size_t n) {
    if (b->failed || !n) {
        return;
    }
    unsigned char *p = (unsigned char *)bml_nn__grow(b->p, b->n, &b->room, n);
    if (!p) {
        b->failed = 1;
        return;
    }
    b->p = p;
    memcpy(b->p + b->n, data, n);
    b->n += n;
}

static void bml_nn__put_text(bml_nn__buffer *b, const char *text) {
    bml_nn__put(b, text, strlen(text));
}

/* A JSON string. */
static void bml_nn__put_string(bml_nn__buffer *b, const char *text) {
    char code[8];
    bml_nn__put_text(b, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            bml_nn__put_text(b, "\\");
        }
        if ((unsigned char)*text < 0x20) {
            snprintf(code, sizeof code, "\\u%04x", (unsigned)(unsigned char)*text);
            bml_nn__put_text(b, code);
        } else {
            bml_nn__put(b, text, 1);
        }
    }
    bml_nn__put_text(b, "\"");
}

/* Digits at *s; returns their number as a double, and how many there are. */
static double bml_nn__digits(const char **s, int *count) {
    double value = 0;
    *count = 0;
    for (; **s >= '0' && **s <= '9' && *count < 40; ++*s) {
        value = value * 10 + (**s - '0');
        ++*count;
    }
    return value;
}

/* "12", "0.500000000000000", or "5p-3" for 5 2^-3; 0 if it is none of them. */
static int bml_nn__parse_decimal(double *value, const char *s) {
    int digits;
    int more = 0;
    *value = bml_nn__digits(&s, &digits);
    if (*s == '.') {
        s++;
        double fraction = bml_nn__digits(&s, &more);
        double unit = 1;
        for (int k = 0; k < more; k++) {
            unit *= 10;
        }
        *value += fraction / unit;
    }
    if (digits + more == 0 || digits + more >= 40) {
        return 0;
    }
    if (*s == 'p') {
        int negative = s[1] == '-';
        s += 1 + negative;
        double power = bml_nn__digits(&s, &more);
        if (power > 1e4) {
            power = 1e4;
        }
        *value = ldexp(*value, negative ? -(int)power : (int)power);
    }
    return !*s;
}

/* A positive number of a layer, the same in every locale and exact: as a decimal fraction where that comes back, else
   as a whole number times a power of two. */
static void bml_nn__put_decimal(bml_nn__buffer *b, double v) {
    char text[64];
    double whole = floor(v);
    double back = -1;
    if (v < 1e15) {
        snprintf(text, sizeof text, "%.0f.%015.0f", whole, floor((v - whole) * 1e15 + 0.5));
        if (!bml_nn__parse_decimal(&back, text)) {
            back = -1;
        }
    }
    if (back != v) {
        int power;
        v = frexp(v, &power);
        snprintf(text, sizeof text, "%.0fp%d", ldexp(v, 53), power - 53);
    }
    bml_nn__put_text(b, text);
}

static const char *const bml_nn__dtypes[] = {"F32", "F16", "BF16", "F64"};
static const int bml_nn__dtype_size[] = {4, 2, 2, 8};

/* To half precision, or its upper half to bfloat16, to nearest, ties to even. */
static uint32_t bml_nn__narrow(float f, int dtype) {
    uint32_t u;
    memcpy(&u, &f, 4);
    if (dtype == BML_NN_BF16) {
        return (u + 0x7FFFu + (u >> 16 & 1)) >> 16;
    }
    uint32_t sign = u >> 16 & 0x8000u;
    uint32_t e = u >> 23 & 255u;
    uint32_t m = (u & 0x7FFFFFu) | 0x800000u;
    if (e < 102) {
        return sign; /* below half of the smallest, 2^-24 */
    }
    if (e > 142) {
        return sign | 0x7C00u; /* infinite */
    }
    uint32_t shift = e < 113 ? 126 - e : 13; /* subnormal, or normal */
    uint32_t half = m >> shift;
    uint32_t dropped = m & ((1u << shift) - 1);
    if (dropped + (half & 1) > 1u << (shift - 1)) {
        half++;
    }
    if (e < 113) {
        return sign | half;
    }
    return sign | (half + ((e - 113) << 10)); /* the hidden bit adds one to the exponent */
}

static float bml_nn__widen(uint32_t h, int dtype) {
    uint32_t sign = (h & 0x8000u) << 16;
    uint32_t e = h >> 10 & 31u;
    uint32_t m = h & 1023u;
    uint32_t u = sign | (e == 31 ? 255u : e + 112u) << 23 | m << 13;
    if (dtype == BML_NN_BF16) {
        u = h << 16;
    } else if (e == 0) {
        return (sign ? -1.0f : 1.0f) * (float)m * 5.9604644775390625e-8f; /* 2^-24 */
    }
    float f;
    memcpy(&f, &u, 4);
    return f;
}

/* A value as stored, or 0 if it is not finite there. */
static int bml_nn__stored(uint64_t *bits, bml_nn_real v, int dtype) {
    float f = (float)v;
    double d = (double)v;
    uint32_t w;
    if (dtype == BML_NN_F64) {
        memcpy(bits, &d, 8);
        return isfinite(v);
    }
    memcpy(&w, &f, 4);
    *bits = w;
    if (dtype == BML_NN_F32 || !isfinite(f)) {
        return isfinite(f);
    }
    *bits = bml_nn__narrow(f, dtype);
    return isfinite(bml_nn__widen((uint32_t)*bits, dtype));
}

/* Values, little-endian. 0 if one is not finite as stored. */
static int bml_nn__put_values(bml_nn__buffer *b, const bml_nn_real *v, ptrdiff_t n, int dtype) {
    const int size = bml_nn__dtype_size[dtype];
    for (ptrdiff_t i = 0; i < n; i++) {
        unsigned char byte[8];
        uint64_t bits;
        if (!bml_nn__stored(&bits, v[i], dtype)) {
            return 0;
        }
        for (int k = 0; k < size; k++) {
            byte[k] = (unsigned char)(bits >> (8 * k));
        }
        bml_nn__put(b, byte, (size_t)size);
    }
    return 1;
}

static const char bml_nn__gate_order[] = "gru z r n, lstm i f g o";

enum { BML_NN__KEY = 128 };
enum { BML_NN__NATIVE = sizeof(bml_nn_real) == 8 ? BML_NN_F64 : BML_NN_F32 };

typedef struct bml_nn__entry { /* a tensor of a file */
    char name[BML_NN__KEY];
    int dtype;
    int rank;
    int fetched;
    ptrdiff_t shape[BML_NN__MAX_RANK];
    ptrdiff_t count;
    ptrdiff_t begin; /* reading: bytes of the data */
    ptrdiff_t end;
    const bml_nn_real *values; /* writing */
} bml_nn__entry;

typedef struct bml_nn__field { /* of a layer, as files have it */
    const char *name;
    size_t offset;
    int is_int;
    double usual; /* is not written: readers of before know no other */
} bml_nn__field;

#define BML_NN__INT_FIELD(member) \
    { #member, offsetof(bml_nn_layer, member), 1, 0 }
#define BML_NN__REAL_FIELD(member, usual) \
    { #member, offsetof(bml_nn_layer, member), 0, usual }
static const bml_nn__field bml_nn__fields[] = {
    BML_NN__INT_FIELD(units),
    BML_NN__INT_FIELD(steps),
    BML_NN__INT_FIELD(features),
    BML_NN__INT_FIELD(sequence),
    BML_NN__INT_FIELD(bidirectional),
    BML_NN__INT_FIELD(reset_before),
    BML_NN__INT_FIELD(kernel),
    BML_NN__INT_FIELD(stride),
    BML_NN__INT_FIELD(same),
    BML_NN__INT_FIELD(init),
    BML_NN__REAL_FIELD(rate, 0),
    BML_NN__REAL_FIELD(slope, 0),
    BML_NN__REAL_FIELD(prior_sd, 0),
    BML_NN__REAL_FIELD(epsilon, BML_NN__EPSILON),
    BML_NN__REAL_FIELD(momentum, BML_NN__MOMENTUM),
    BML_NN__INT_FIELD(no_bias),
    BML_NN__INT_FIELD(two_biases),
};
enum { BML_NN__N_FIELDS = sizeof bml_nn__fields / sizeof *bml_nn__fields };

static double bml_nn__get_field(const bml_nn_layer *l, const bml_nn__field *field) {
    const char *at = (const char *)l + field->offset;
    int whole;
    double value;
    memcpy(&whole, at, sizeof whole);
    if (field->is_int) {
        return whole;
    }
    memcpy(&value, at, sizeof value);
    return value;
}

/* Members that are not zero: " units=32 rate=0.1". */
static void bml_nn__put_fields(bml_nn__buffer *b, const bml_nn_layer *l) {
    char number[32];
    for (int k = 0; k < BML_NN__N_FIELDS; k++) {
        const bml_nn__field *field = &bml_nn__fields[k];
        double value = bml_nn__get_field(l, field);
        if (value == 0 || value == field->usual) {
            continue;
        }
        bml_nn__put_text(b, " ");
        bml_nn__put_text(b, field->name);
        bml_nn__put_text(b, "=");
        if (field->is_int) {
            snprintf(number, sizeof number, "%.0f", value);
            bml_nn__put_text(b, number);
        } else {
            bml_nn__put_decimal(b, value);
        }
    }
}

/* "input name=x features=6; dense name=hidden from=x units=32 activation=tanh; ..." */
static void bml_nn__put_layers(bml_nn__buffer *b, const bml_nn *net) {
    for (int i = 0; i < net->n_nodes; i++) {
        const bml_nn__node *n = &net->nodes[i];
        bml_nn__put_text(b, i ? "; " : "");
        bml_nn__put_text(b, bml_nn__kinds[n->spec.kind].name);
        bml_nn__put_text(b, " name=");
        bml_nn__put_text(b, n->name);
        for (int k = 0; k < n->n_from; k++) {
            bml_nn__put_text(b, k ? "," : " from=");
            bml_nn__put_text(b, net->nodes[n->from[k]].name);
        }
        if (n->spec.activation) {
            bml_nn__put_text(b, " activation=");
            bml_nn__put_text(b, bml_nn__activations[n->spec.activation].name);
        }
        if (n->lengths >= 0) {
            bml_nn__put_text(b, " lengths=");
            bml_nn__put_text(b, net->nodes[n->lengths].name);
        }
        bml_nn__put_fields(b, &n->spec);
    }
    bml_nn__put(b, "", 1);
}

/* "name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}; moves the offset on. */
static void bml_nn__put_entry(bml_nn__buffer *b, const bml_nn__entry *e, double *offset) {
    char text[160];
    double end = *offset + (double)e->count * bml_nn__dtype_size[e->dtype];
    bml_nn__put_string(b, e->name);
    snprintf(text, sizeof text, ":{\"dtype\":\"%s\",\"shape\":[", bml_nn__dtypes[e->dtype]);
    bml_nn__put_text(b, text);
    for (int k = 0; k < e->rank; k++) {
        snprintf(text, sizeof text, "%s%.0f", k ? "," : "", (double)e->shape[k]);
        bml_nn__put_text(b, text);
    }
    snprintf(text, sizeof text, "],\"data_offsets\":[%.0f,%.0f]}", *offset, end);
    bml_nn__put_text(b, text);
    *offset = end;
}

/* The whole file: entries[n], and texts as pairs key, value, ..., NULL. */
static int bml_nn__put_file(bml_nn__buffer *b, bml_nn *net, bml_nn__entry *entries, int n, const char *const *texts) {
    double offset = 0;
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
        bml_nn__put_text(b, ",");
        bml_nn__put_entry(b, &entries[i], &offset);
    }
    bml_nn__put_text(b, "}");
    while (b->n % 8 && !b->failed) {
        bml_nn__put(b, " ", 1);
    }
    uint64_t length = (uint64_t)b->n - 8;
    for (int k = 0; k < 8 && !b->failed; k++) {
        b->p[k] = (unsigned char)(length >> (8 * k));
    }
    for (int i = 0; i < n && !b->failed; i++) {
        if (!bml_nn__put_values(b, entries[i].values, entries[i].count, entries[i].dtype)) {
            return bml_nn__fail(net->message, BML_NN_BAD_DATA, "tensor \"%s\" holds a value that %s cannot store",
                                entries[i].name, bml_nn__dtypes[entries[i].dtype]);
        }
    }
    return b->failed ? bml_nn__fail(net->message, BML_NN_NO_MEMORY, "a file of %.0f bytes", offset) : BML_NN_OK;
}

static void bml_nn__vector_entry(bml_nn__entry *e, const char *name, const bml_nn_real *values, ptrdiff_t n,
                                 int dtype) {
    memset(e, 0, sizeof *e);
    snprintf(e->name, sizeof e->name, "%s", name);
    e->dtype = dtype;
    e->rank = 1;
    e->shape[0] = n;
    e->count = n;
    e->values = values;
}

/* One entry for each tensor of the net; returns how many. */
static int bml_nn__list_tensors(bml_nn__entry *entries, const bml_nn *net, int storage) {
    char name[BML_NN__KEY];
    for (int i = 0; i < net->n_tensors; i++) {
        const bml_nn__tensor *t = &net->tensors[i];
        const bml_nn_real *values = (t->running ? net->running : net->params) + t->offset;
        snprintf(name, sizeof name, "%s.%s", net->nodes[t->node].name, t->what);
        bml_nn__vector_entry(&entries[i], name, values, t->count, storage);
        entries[i].rank = t->rank;
        memcpy(entries[i].shape, t->shape, sizeof t->shape);
    }
    return net->n_tensors;
}

static const char *const bml_nn__scaler_names[2][2] = {{"bml_nn:inputs.shift", "bml_nn:inputs.scale"},
                                                       {"bml_nn:outputs.shift", "bml_nn:outputs.scale"}};

/* Tensors of the net, then scalers and arrays ("bml_nn:..." is no name of a layer). Returns how many. */
static int bml_nn__list(bml_nn__entry *entries, const bml_nn *net, int storage) {
    char name[BML_NN__KEY];
    int n = bml_nn__list_tensors(entries, net, storage);
    for (int i = 0; i < 2; i++) {
        const ptrdiff_t m = i ? net->n_out : net->n_in;
        if (!net->shift[i]) {
            continue;
        }
        bml_nn__vector_entry(&entries[n++], bml_nn__scaler_names[i][0], net->shift[i], m, BML_NN__NATIVE);
        bml_nn__vector_entry(&entries[n++], bml_nn__scaler_names[i][1], net->scale[i], m, BML_NN__NATIVE);
    }
    for (const bml_nn__extra *e = net->extras; e; e = e->next) {
        if (!e->values) {
            continue;
        }
        snprintf(name, sizeof name, "bml_nn:array.%s", e->name);
        bml_nn__vector_entry(&entries[n++], name, e->values, e->n, BML_NN__NATIVE);
    }
    return n;
}

/* Keys and values of the metadata; text[] has room for 7 and two for each extra. */
static void bml_nn__list_texts(const char **text, const bml_nn *net, const char *layers) {
    const char *fixed[] = {"bml_nn", "1", "bml_nn.gates", bml_nn__gate_order, "bml_nn.layers", layers};
    int k = 0;
    for (; k < 6; k++) {
        text[k] = fixed[k];
    }
    for (const bml_nn__extra *e = net->extras; e; e = e->next) {
        if (!e->text) {
            continue;
        }
        text[k++] = e->name;
        text[k++] = e->text;
    }
    text[k] = NULL;
}

BML_NN_DEF int bml_nn_encode(bml_nn *net, unsigned char **bytes, size_t *size, int storage) {
    bml_nn__buffer b = {NULL, 0, 0, 0};
    bml_nn__buffer layers = {NULL, 0, 0, 0};
    int extras = 0;
    if (bytes) {
        *bytes = NULL;
    }
    if (!net || !bytes || !size) {
        return BML_NN_BAD_ARGUMENT;
    }
    if (storage < BML_NN_F32 || storage > BML_NN_F64) {
        return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "storage = %d: must be in [0, %d]", storage, BML_NN_F64);
    }
    for (const bml_nn__extra *e = net->extras; e; e = e->next) {
        extras++;
    }
    const ptrdiff_t most = net->n_tensors + 4 + extras;
    bml_nn__entry *entries = (bml_nn__entry *)bml_nn__alloc(most, sizeof *entries);
    const char **texts = (const char **)bml_nn__alloc(7 + 2 * extras, sizeof *texts);
    bml_nn__put_layers(&layers, net);
    int status = BML_NN_NO_MEMORY;
    if (entries && texts && !layers.failed) {
        int n = bml_nn__list(entries, net, storage);
        bml_nn__list_texts(texts, net, (const char *)layers.p);
        status = bml_nn__put_file(&b, net, entries, n, texts);
    }
    BML_NN_FREE(entries);
    BML_NN_FREE((void *)texts);
    BML_NN_FREE(layers.p);
    if (status) {
        BML_NN_FREE(b.p);
        return status;
    }
    *bytes = b.p;
    *size = b.n;
    return BML_NN_OK;
}

BML_NN_DEF void bml_nn_free_bytes(unsigned char *bytes) {
    BML_NN_FREE(bytes);
}

/* >> reading files
   Every byte is checked before it is used. */

typedef struct bml_nn__file {
    const unsigned char *at; /* of the JSON header, while it is read */
    const unsigned char *end;
    const unsigned char *data;
    ptrdiff_t data_size;
    bml_nn__entry *entries; /* [n], in the order of their bytes */
    int n;
    size_t entry_room;
    char *text; /* decoded texts, one after another */
    size_t text_used;
    const char **pairs; /* key, value, ... into text */
    int n_texts;
    size_t pair_room;
    const bml_nn_import *naming; /* names of other programs */
    char *message;
} bml_nn__file;

static int bml_nn__damaged(bml_nn__file *f, const char *why, const char *what) {
    if (!what) {
        return bml_nn__fail(f->message, BML_NN_BAD_FILE, "%s", why);
    }
    return bml_nn__fail(f->message, BML_NN_BAD_FILE, "%s \"%s\"", why, what);
}

static int bml_nn__is_space(int c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void bml_nn__space(bml_nn__file *f) {
    while (f->at < f->end && bml_nn__is_space(*f->at)) {
        f->at++;
    }
}

/* Passes over the character if it is next. */
static int bml_nn__expect(bml_nn__file *f, char c) {
    bml_nn__space(f);
    if (f->at >= f->end || *f->at != (unsigned char)c) {
        return 0;
    }
    f->at++;
    return 1;
}

static int bml_nn__hex_digit(int c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

/* Four hexadecimal digits, or -1. */
static long bml_nn__hex(bml_nn__file *f) {
    long v = 0;
    if (f->end - f->at < 4) {
        return -1;
    }
    for (int k = 0; k < 4; k++) {
        int d = bml_nn__hex_digit(*f->at++);
        if (d < 0) {
            return -1;
        }
        v = v * 16 + d;
    }
    return v;
}

/* The code point of a \u escape, surrogate pairs put together; -1 if malformed. */
static long bml_nn__unicode(bml_nn__file *f) {
    long u = bml_nn__hex(f);
    if (u < 0xD800 || u > 0xDFFF) {
        return u > 0 ? u : -1;
    }
    if (u > 0xDBFF || f->end - f->at < 6) {
        return -1;
    }
    if (f->at[0] != '\\' || f->at[1] != 'u') {
        return -1;
    }
    f->at += 2;
    long low = bml_nn__hex(f);
    if (low < 0xDC00 || low > 0xDFFF) {
        return -1;
    }
    return 0x10000 + ((u - 0xD800) << 10) + (low - 0xDC00);
}

/* A code point in UTF-8; returns its bytes. */
static int bml_nn__utf8(char *to, long u) {
    static const long below[] = {0x80, 0x800, 0x10000};
    static const int mark[] = {0, 0xC0, 0xE0, 0xF0};
    int more = 0;
    while (more < 3 && u >= below[more]) {
        more++;
    }
    to[0] = (char)(mark[more] | (int)(u >> (6 * more)));
    for (int k = 1; k <= more; k++) {
        to[k] = (char)(0x80 | (int)(u >> (6 * (more - k)) & 63));
    }
    return more + 1;
}

/* One character of a JSON string to `to`; returns its bytes, 0 if malformed. */
static int bml_nn__character(bml_nn__file *f, char *to) {
    static const char escape[] = "\"\\/bfnrt";
    static const char value[] = "\"\\/\b\f\n\r\t";
    if (*f->at < 0x20) {
        return 0;
    }
    if (*f->at != '\\') {
        size_t n = bml_nn__utf8_length(f->at, (size_t)(f->end - f->at));
        memcpy(to, f->at, n);
        f->at += n;
        return (int)n;
    }
    f->at++;
    if (f->at >= f->end) {
        return 0;
    }
    const int c = *f->at++;
    if (c == 'u') {
        long u = bml_nn__unicode(f);
        return u < 0 ? 0 : bml_nn__utf8(to, u);
    }
    const char *which = c ? strchr(escape, c) : NULL;
    if (!which) {
        return 0;
    }
    *to = value[which - escape];
    return 1;
}

/* A JSON string, decoded, with its 0, at the end of f->text, which is as long as the header and so has room. NULL if
   malformed. */
static const char *bml_nn__string(bml_nn__file *f) {
    char *start = f->text + f->text_used;
    char *to = start;
    if (!bml_nn__expect(f, '"')) {
        return NULL;
    }
    while (f->at < f->end && *f->at != '"') {
        int n = bml_nn__character(f, to);
        if (!n) {
            return NULL;
        }
        to += n;
    }
    if (f->at >= f->end) {
        return NULL;
    }
    f->at++;
    *to++ = 0;
    f->text_used = (size_t)(to - f->text);
    return start;
}

/* A whole number, digits only, that a ptrdiff_t holds; 0 if it is none. */
static int bml_nn__number(bml_nn__file *f, ptrdiff_t *value) {
    int digits = 0;
    *value = 0;
    bml_nn__space(f);
    for (; f->at < f->end && *f->at >= '0' && *f->at <= '9'; f->at++) {
        if (*value > BML_NN__MOST / 20) {
            return 0;
        }
        *value = *value * 10 + (*f->at - '0');
        digits++;
    }
    return digits > 0;
}

static int bml_nn__read_dtype(bml_nn__file *f, bml_nn__entry *e) {
    const char *text = bml_nn__string(f);
    for (int k = 0; text && k < 4; k++) {
        if (!strcmp(text, bml_nn__dtypes[k])) {
            e->dtype = k;
        }
    }
    if (text && !strcmp(text, "I64")) {
        e->dtype = 4; /* PyTorch's num_batches_tracked: passed over */
    }
    return e->dtype < 0 ? bml_nn__damaged(f, "a dtype other than F64, F32, F16, BF16 in tensor", e->name) : BML_NN_OK;
}

static int bml_nn__read_shape(bml_nn__file *f, bml_nn__entry *e) {
    if (!bml_nn__expect(f, '[')) {
        return bml_nn__damaged(f, "malformed shape of tensor", e->name);
    }
    if (bml_nn__expect(f, ']')) {
        return BML_NN_OK;
    }
    do {
        if (e->rank == BML_NN__MAX_RANK) {
            return bml_nn__damaged(f, "too many dimensions in tensor", e->name);
        }
        ptrdiff_t *size = &e->shape[e->rank];
        if (!bml_nn__number(f, size) || !bml_nn__mul(&e->count, e->count, *size)) {
            return bml_nn__damaged(f, "malformed or too large shape of tensor", e->name);
        }
        e->rank++;
    } while (bml_nn__expect(f, ','));
    return bml_nn__expect(f, ']') ? BML_NN_OK : bml_nn__damaged(f, "malformed shape of tensor", e->name);
}

static int bml_nn__read_offsets(bml_nn__file *f, bml_nn__entry *e) {
    int good = bml_nn__expect(f, '[') && bml_nn__number(f, &e->begin);
    good = good && bml_nn__expect(f, ',') && bml_nn__number(f, &e->end) && bml_nn__expect(f, ']');
    return good ? BML_NN_OK : bml_nn__damaged(f, "malformed data_offsets of tensor", e->name);
}

/* {"dtype": ..., "shape": [...], "data_offsets": [begin, end]} in any order, each once. */
static int bml_nn__read_entry(bml_nn__file *f, bml_nn__entry *e) {
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    static int (*const readers[])(bml_nn__file *, bml_nn__entry *) = {bml_nn__read_dtype, bml_nn__read_shape,
                                                                      bml_nn__read_offsets};
    const size_t used = f->text_used;
    int seen = 0;
    e->dtype = -1;
    e->rank = 0;
    e->count = 1;
    if (!bml_nn__expect(f, '{')) {
        return bml_nn__damaged(f, "no description of tensor", e->name);
    }
    do {
        const char *key = bml_nn__string(f);
        int which = 0;
        while (which < 3 && (!key || strcmp(key, keys[which]))) {
            which++;
        }
        if (which == 3 || (seen >> which & 1) || !bml_nn__expect(f, ':')) {
            return bml_nn__damaged(f, "malformed description of tensor", e->name);
        }
        seen |= 1 << which;
        int status = readers[which](f, e);
        if (status) return status;
        f->text_used = used; /* keys are not needed any more */
    } while (bml_nn__expect(f, ','));
    if (seen != 7 || !bml_nn__expect(f, '}')) {
        return bml_nn__damaged(f, "incomplete description of tensor", e->name);
    }
    ptrdiff_t bytes;
    int size = e->dtype == 4 ? 8 : bml_nn__dtype_size[e->dtype];
    if (!bml_nn__mul(&bytes, e->count, size) || e->begin > e->end || e->end - e->begin != bytes) {
        return bml_nn__damaged(f, "shape and data_offsets disagree in tensor", e->name);
    }
    if (e->end > f->data_size) {
        return bml_nn__damaged(f, "the file ends before the data of tensor", e->name);
    }
    return BML_NN_OK;
}

static int bml_nn__read_metadata(bml_nn__file *f) {
    enum { MOST = 4096 };
    if (!bml_nn__expect(f, '{')) {
        return bml_nn__damaged(f, "malformed metadata", NULL);
    }
    if (bml_nn__expect(f, '}')) {
        return BML_NN_OK;
    }
    do {
        const char *key = bml_nn__string(f);
        const char *value = key && bml_nn__expect(f, ':') ? bml_nn__string(f) : NULL;
        if (!value) {
            return bml_nn__damaged(f, "metadata must be strings", NULL);
        }
        if (f->n_texts >= MOST) {
            return bml_nn__damaged(f, "more than 4096 texts in the metadata", NULL);
        }
        for (int i = 0; i < f->n_texts; i++) {
            if (!strcmp(f->pairs[2 * i], key)) {
                return bml_nn__damaged(f, "metadata twice:", key);
            }
        }
        const size_t pair = 2 * sizeof(char *);
        void *pairs = bml_nn__grow((void *)f->pairs, pair * (size_t)f->n_texts, &f->pair_room, pair);
        if (!pairs) {
            return bml_nn__fail(f->message, BML_NN_NO_MEMORY, "metadata");
        }
        f->pairs = (const char **)pairs;
        f->pairs[2 * f->n_texts] = key;
        f->pairs[2 * f->n_texts + 1] = value;
        f->n_texts++;
    } while (bml_nn__expect(f, ','));
    return bml_nn__expect(f, '}') ? BML_NN_OK : bml_nn__damaged(f, "malformed metadata", NULL);
}

static int bml_nn__compare(ptrdiff_t a, ptrdiff_t b) {
    return (a > b) - (a < b);
}

static int bml_nn__by_place(const void *a, const void *b) {
    const bml_nn__entry *x = (const bml_nn__entry *)a;
    const bml_nn__entry *y = (const bml_nn__entry *)b;
    int by_begin = bml_nn__compare(x->begin, y->begin);
    return by_begin ? by_begin : bml_nn__compare(x->end, y->end);
}

static int bml_nn__by_name(const void *a, const void *b) {
    return strcmp(((const bml_nn__entry *)a)->name, ((const bml_nn__entry *)b)->name);
}

/* Names differ, and the tensors fill the data without gap or overlap. */
static int bml_nn__check_places(bml_nn__file *f) {
    bml_nn__entry *e = f->entries;
    ptrdiff_t at = 0;
    if (f->n) {
        qsort(e, (size_t)f->n, sizeof *e, bml_nn__by_name);
    }
    for (int i = 1; i < f->n; i++) {
        if (!strcmp(e[i].name, e[i - 1].name)) {
            return bml_nn__damaged(f, "two tensors named", e[i].name);
        }
    }
    if (f->n) {
        qsort(e, (size_t)f->n, sizeof *e, bml_nn__by_place);
    }
    for (int i = 0; i < f->n; i++) {
        if (e[i].begin < at) {
            return bml_nn__damaged(f, "data overlap those of another tensor in", e[i].name);
        }
        if (e[i].begin > at) {
            return bml_nn__damaged(f, "a gap before the data of tensor", e[i].name);
        }
        at = e[i].end;
    }
    return at == f->data_size ? BML_NN_OK : bml_nn__damaged(f, "bytes after the last tensor", NULL);
}

static void bml_nn__file_free(bml_nn__file *f) {
    BML_NN_FREE(f->entries);
    BML_NN_FREE((void *)f->pairs);
    BML_NN_FREE(f->text);
}

/* One member of the header: the metadata, or a tensor. */
static int bml_nn__read_member(bml_nn__file *f, int *metadata) {
    const size_t used = f->text_used;
    const char *name = bml_nn__string(f);
    if (!name || !bml_nn__expect(f, ':')) {
        return bml_nn__damaged(f, "the header is not JSON", NULL);
    }
    if (!strcmp(name, "__metadata__")) {
        if (*metadata) {
            return bml_nn__damaged(f, "metadata twice", NULL);
        }
        *metadata = 1;
        return bml_nn__read_metadata(f);
    }
    if (strlen(name) >= BML_NN__KEY) {
        return bml_nn__damaged(f, "the name of a tensor is too long", NULL);
    }
    const size_t have = (size_t)f->n * sizeof(bml_nn__entry);
    void *entries = f->n < 1 << 20 ? bml_nn__grow(f->entries, have, &f->entry_room, sizeof(bml_nn__entry)) : NULL;
    if (!entries) {
        return bml_nn__fail(f->message, BML_NN_NO_MEMORY, "%d tensors", f->n);
    }
    f->entries = (bml_nn__entry *)entries;
    bml_nn__entry *e = &f->entries[f->n++];
    memset(e, 0, sizeof *e);
    memcpy(e->name, name, strlen(name) + 1);
    f->text_used = used;
    return bml_nn__read_entry(f, e);
}

/* Reads the header of bytes[size]. Free the file whatever the status. */
static int bml_nn__file_read(bml_nn__file *f, const unsigned char *bytes, size_t size, char *message) {
    uint64_t length = 0;
    int metadata = 0;
    memset(f, 0, sizeof *f);
    f->message = message;
    if (size < 8) {
        return bml_nn__damaged(f, "shorter than a safetensors header", NULL);
    }
    for (int k = 0; k < 8; k++) {
        length |= (uint64_t)bytes[k] << (8 * k);
    }
    if (length > size - 8 || length > 100000000) {
        return bml_nn__damaged(f, "the header is longer than the file, or than 100 MB", NULL);
    }
    f->at = bytes + 8;
    f->end = f->at + length;
    f->data = f->end;
    f->data_size = (ptrdiff_t)(size - 8 - (size_t)length);
    f->text = (char *)bml_nn__alloc((ptrdiff_t)length + 1, 1);
    if (!f->text) {
        return bml_nn__fail(message, BML_NN_NO_MEMORY, "a header of %.0f bytes", (double)length);
    }
    if (!length || *f->at != '{') {
        return bml_nn__damaged(f, "the header does not begin with {", NULL);
    }
    f->at++;
    if (!bml_nn__expect(f, '}')) {
        do {
            int status = bml_nn__read_member(f, &metadata);
            if (status) return status;
        } while (bml_nn__expect(f, ','));
        if (!bml_nn__expect(f, '}')) {
            return bml_nn__damaged(f, "the header is not JSON, or ends early", NULL);
        }
    }
    bml_nn__space(f);
    if (f->at != f->end) {
        return bml_nn__damaged(f, "something after the header's end", NULL);
    }
    return bml_nn__check_places(f);
}

static bml_nn__entry *bml_nn__find_entry(const bml_nn__file *f, const char *name) {
    for (int i = 0; i < f->n; i++) {
        if (!strcmp(f->entries[i].name, name)) {
            return &f->entries[i];
        }
    }
    return NULL;
}

/* A text of the metadata, "" if there is none. */
static const char *bml_nn__find_text(const bml_nn__file *f, const char *key) {
    for (int i = 0; i < f->n_texts; i++) {
        if (!strcmp(f->pairs[2 * i], key)) {
            return f->pairs[2 * i + 1];
        }
    }
    return "";
}

/* Value i of a tensor. */
static double bml_nn__value(const bml_nn__file *f, const bml_nn__entry *e, ptrdiff_t i) {
    const int size = bml_nn__dtype_size[e->dtype];
    const unsigned char *p = f->data + e->begin + i * size;
    uint64_t bits = 0;
    double d;
    float single;
    for (int k = 0; k < size; k++) {
        bits |= (uint64_t)p[k] << (8 * k);
    }
    if (e->dtype == BML_NN_F64) {
        memcpy(&d, &bits, 8);
        return d;
    }
    uint32_t w = (uint32_t)bits;
    if (e->dtype != BML_NN_F32) {
        return (double)bml_nn__widen(w, e->dtype);
    }
    memcpy(&single, &w, 4);
    return (double)single;
}

/* The tensor `name`, which must have this shape, to `to`; marks it fetched. */
static int bml_nn__fetch_tensor(bml_nn_real *to, bml_nn__file *f, const char *name, int rank, const ptrdiff_t *shape) {
    bml_nn__entry *e = bml_nn__find_entry(f, name);
    if (!e) {
        return bml_nn__fail(f->message, BML_NN_MISMATCH, "no tensor \"%s\"", name);
    }
    if (e->dtype > BML_NN_F64) {
        return bml_nn__fail(f->message, BML_NN_MISMATCH, "tensor \"%s\" holds integers", name);
    }
    for (int k = 0; k < rank; k++) {
        if (e->rank != rank || e->shape[k] != shape[k]) {
            return bml_nn__fail(f->message, BML_NN_MISMATCH,
                                "tensor \"%s\" has another shape: dimension %d is %.0f of %d, not %.0f of %d", name, k,
                                k < e->rank ? (double)e->shape[k] : 0.0, e->rank, (double)shape[k], rank);
        }
    }
    for (ptrdiff_t i = 0; i < e->count; i++) {
        to[i] = (bml_nn_real)bml_nn__value(f, e, i);
        if (!isfinite(to[i])) {
            return bml_nn__fail(f->message, BML_NN_MISMATCH, "tensor \"%s\": value %.0f is not finite", name,
                                (double)i);
        }
    }
    e->fetched = 1;
    return BML_NN_OK;
}

static int bml_nn__all_fetched(bml_nn__file *f) {
    for (int i = 0; i < f->n; i++) {
        const bml_nn__entry *e = &f->entries[i];
        if (!e->fetched) {
            return bml_nn__fail(f->message, BML_NN_MISMATCH, "tensor \"%s\" belongs to no layer", e->name);
        }
    }
    return BML_NN_OK;
}

/* >> model files */

static int bml_nn__kind_of(const char *name) {
    for (int i = 0; i < BML_NN_N_KINDS; i++) {
        if (!strcmp(name, bml_nn__kinds[i].name)) {
            return i;
        }
    }
    return -1;
}

static int bml_nn__activation_of(const char *name) {
    for (int i = 0; i < BML_NN_N_ACTIVATIONS; i++) {
        if (!strcmp(name, bml_nn__activations[i].name)) {
            return i;
        }
    }
    return -1;
}

/* Cuts the text at the first c; returns what follows, NULL if there is no c. */
static char *bml_nn__cut(char *text, char c) {
    char *at = strchr(text, c);
    if (at) {
        *at++ = 0;
    }
    return at;
}

/* The sources "a,b,c" of a layer. */
static int bml_nn__parse_sources(bml_nn_layer *l, char *value) {
    for (int k = 0; k < BML_NN_MAX_FROM && value; k++) {
        l->from[k] = value;
        value = bml_nn__cut(value, ',');
    }
    return !value;
}

/* A numeric member, each once. */
static int bml_nn__parse_number(bml_nn_layer *l, const char *name, const char *text) {
    double value;
    if (!bml_nn__parse_decimal(&value, text)) {
        return 0;
    }
    for (int k = 0; k < BML_NN__N_FIELDS; k++) {
        const bml_nn__field *field = &bml_nn__fields[k];
        char *at = (char *)l + field->offset;
        if (strcmp(name, field->name)) {
            continue;
        }
        if (bml_nn__get_field(l, field) > 0) {
            return 0;
        }
        if (!field->is_int) {
            memcpy(at, &value, sizeof value);
            return 1;
        }
        int whole = value <= 2147483647.0 ? (int)value : -1;
        memcpy(at, &whole, sizeof whole);
        return whole == value;
    }
    return 0;
}

/* One field=value of a layer, cut out of the text it stands in; each field once. */
static int bml_nn__parse_field(bml_nn_layer *l, char *name, char *value) {
    if (!strcmp(name, "name")) {
        if (l->name) {
            return 0;
        }
        l->name = value;
        return 1;
    }
    if (!strcmp(name, "lengths")) {
        if (l->lengths) {
            return 0;
        }
        l->lengths = value;
        return 1;
    }
    if (!strcmp(name, "activation")) {
        if (l->activation) {
            return 0;
        }
        l->activation = bml_nn__activation_of(value);
        return l->activation >= 0;
    }
    if (!strcmp(name, "from")) {
        return !l->from[0] && bml_nn__parse_sources(l, value);
    }
    return bml_nn__parse_number(l, name, value);
}

/* Layer n from its line, which is taken apart. */
static int bml_nn__parse_layer(bml_nn_layer *l, int n, char *line, char *message) {
    line += strspn(line, " ");
    char *rest = bml_nn__cut(line, ' ');
    l->kind = bml_nn__kind_of(line);
    if (l->kind < 0) {
        return bml_nn__fail(message, BML_NN_BAD_FILE, "layer %d: no such kind, \"%.40s\"", n, line);
    }
    while (rest && *rest) {
        char *name = rest;
        rest = bml_nn__cut(name, ' ');
        char *value = bml_nn__cut(name, '=');
        if (!value || !bml_nn__parse_field(l, name, value)) {
            return bml_nn__fail(message, BML_NN_BAD_FILE, "layer %d: cannot read \"%.40s\"", n, name);
        }
    }
    return BML_NN_OK;
}

/* A net of the layers in `text`, which is taken apart, with at most `most` parameters. */
static int bml_nn__parse_layers(bml_nn **net, char *text, ptrdiff_t most, char *message) {
    bml_nn_config config = {NULL, 0, 0};
    int n = 1;
    for (const char *c = text; *c; c++) {
        n += *c == ';';
    }
    if (n > BML_NN__MAX_LAYERS) {
        return bml_nn__fail(message, BML_NN_BAD_FILE, "more than %d layers", BML_NN__MAX_LAYERS);
    }
    bml_nn_layer *layers = (bml_nn_layer *)bml_nn__alloc(n, sizeof *layers);
    if (!layers) {
        return BML_NN_NO_MEMORY;
    }
    int status = BML_NN_OK;
    char *line = text;
    for (int i = 0; i < n && !status; i++) {
        char *next = bml_nn__cut(line, ';');
        status = bml_nn__parse_layer(&layers[i], i, line, message);
        line = next;
    }
    config.layers = layers;
    config.n_layers = n;
    if (!status) {
        status = bml_nn__make(net, &config, most, message);
    }
    BML_NN_FREE(layers);
    return status;
}

/* Scaler i of a file. */
static int bml_nn__fetch_scaler(bml_nn *net, bml_nn__file *f, int i) {
    const char *const *names = bml_nn__scaler_names[i];
    const ptrdiff_t n = i ? net->n_out : net->n_in;
    bml_nn_real *shift = net->scaler_room[i];
    bml_nn_real *scale = shift + n;
    if (!bml_nn__find_entry(f, names[0]) && !bml_nn__find_entry(f, names[1])) {
        return BML_NN_OK;
    }
    int status = bml_nn__fetch_tensor(shift, f, names[0], 1, &n);
    if (!status) {
        status = bml_nn__fetch_tensor(scale, f, names[1], 1, &n);
    }
    if (!status && bml_nn_set_scaler(net, i, shift, scale)) {
        status = bml_nn__fail(f->message, BML_NN_MISMATCH, "tensor \"%s\" is not positive", names[1]);
    }
    return status;
}

/* The array of one entry, if it is one. */
static int bml_nn__fetch_array(bml_nn *net, bml_nn__file *f, const bml_nn__entry *e) {
    static const char prefix[] = "bml_nn:array.";
    const size_t length = sizeof prefix - 1;
    if (strncmp(e->name, prefix, length)) {
        return BML_NN_OK;
    }
    bml_nn_real *values = bml_nn__alloc_reals(e->count);
    if (!values) {
        return bml_nn__fail(f->message, BML_NN_NO_MEMORY, "\"%s\"", e->name);
    }
    int status = bml_nn__fetch_tensor(values, f, e->name, 1, &e->count);
    if (!status) {
        status = bml_nn_set_array(net, e->name + length, values, (size_t)e->count);
    }
    if (status == BML_NN_BAD_ARGUMENT) {
        status = bml_nn__fail(f->message, BML_NN_MISMATCH, "array \"%s\" has a bad name or no values", e->name);
    }
    BML_NN_FREE(values);
    return status;
}

/* Scalers, arrays and texts of a file. */
static int bml_nn__fetch_extras(bml_nn *net, bml_nn__file *f) {
    int status = bml_nn__fetch_scaler(net, f, 0);
    if (!status) {
        status = bml_nn__fetch_scaler(net, f, 1);
    }
    for (int i = 0; i < f->n && !status; i++) {
        status = bml_nn__fetch_array(net, f, &f->entries[i]);
    }
    for (int i = 0; i < f->n_texts && !status; i++) {
        const char *key = f->pairs[2 * i];
        int ours = !strncmp(key, "bml_nn", 6);
        if (ours || !bml_nn__good_name(key, BML_NN__MAX_KEY)) {
            continue; /* "format" and the like */
        }
        if (bml_nn_set_text(net, key, f->pairs[2 * i + 1])) {
            status = bml_nn__fail(f->message, BML_NN_NO_MEMORY, "\"%s\"", key);
        }
    }
    return status;
}

static int bml_nn__check_variances(const bml_nn_real *values, const bml_nn *net, bml_nn__file *f) {
    for (int i = 0; i < net->n_tensors; i++) {
        const bml_nn__tensor *t = &net->tensors[i];
        const bml_nn_real *v = values + net->n_params + t->offset;
        for (ptrdiff_t k = 0; t->start == BML_NN__VARIANCE && k < t->count; k++) {
            if (v[k] < 0) {
                return bml_nn__fail(f->message, BML_NN_MISMATCH, "tensor \"%s.variance\": value %.0f is negative",
                                    net->nodes[t->node].name, (double)k);
            }
        }
    }
    return BML_NN_OK;
}

/* The alias of a layer, NULL if it has none. */
static const bml_nn_alias *bml_nn__alias_of(const bml_nn__file *f, const char *layer) {
    for (int k = 0; f->naming && k < f->naming->n_aliases; k++) {
        if (!strcmp(f->naming->aliases[k].layer, layer)) {
            return &f->naming->aliases[k];
        }
    }
    return NULL;
}

/* The name in the file of what a layer has: prefix, module, dot, what; cut where there is no room, and then not found.
   */
static void bml_nn__name_there(char *name, const bml_nn__file *f, const char *layer, const char *what) {
    const bml_nn_alias *alias = bml_nn__alias_of(f, layer);
    const char *prefix = f->naming && f->naming->prefix ? f->naming->prefix : "";
    snprintf(name, BML_NN__KEY, "%s%s.%s", prefix, alias ? alias->module : layer, what);
}

/* All tensors of the net in our own order, into values laid out as params, then running. */
static int bml_nn__fetch_own(bml_nn_real *values, const bml_nn *net, bml_nn__file *f) {
    char name[BML_NN__KEY];
    int status = BML_NN_OK;
    for (int i = 0; i < net->n_tensors && !status; i++) {
        const bml_nn__tensor *t = &net->tensors[i];
        bml_nn_real *to = values + t->offset + (t->running ? net->n_params : 0);
        bml_nn__name_there(name, f, net->nodes[t->node].name, t->what);
        status = bml_nn__fetch_tensor(to, f, name, t->rank, t->shape);
    }
    return status ? status : bml_nn__check_variances(values, net, f);
}

/* Weights laid out so become those of the net. */
static void bml_nn__accept(bml_nn *net, const bml_nn_real *values) {
    bml_nn__copy(net->params, values, net->n_params);
    bml_nn__copy(net->running, values + net->n_params, net->n_running);
}

static int bml_nn__check_format(bml_nn__file *f) {
    if (!*bml_nn__find_text(f, "bml_nn.layers")) {
        return bml_nn__damaged(f, "no architecture in the file: bml_nn_load_weights takes weights alone", NULL);
    }
    if (strcmp(bml_nn__find_text(f, "bml_nn"), "1")) {
        return bml_nn__damaged(f, "another version of the format than", "1");
    }
    if (strcmp(bml_nn__find_text(f, "bml_nn.gates"), bml_nn__gate_order)) {
        return bml_nn__damaged(f, "another order of gates than", bml_nn__gate_order);
    }
    return BML_NN_OK;
}

/* The net of a file whose header is read. */
static int bml_nn__decode_file(bml_nn **out, bml_nn__file *f) {
    bml_nn *net = NULL;
    int status = bml_nn__check_format(f);
    if (status) return status;
    const char *text = bml_nn__find_text(f, "bml_nn.layers");
    const size_t length = strlen(text) + 1;
    char *layers = (char *)BML_NN_MALLOC(length);
    if (!layers) {
        return BML_NN_NO_MEMORY;
    }
    memcpy(layers, text, length);
    status = bml_nn__parse_layers(&net, layers, f->data_size / 2, f->message);
    BML_NN_FREE(layers);
    if (status) return status;
    bml_nn_real *values = bml_nn__alloc_reals(net->n_params + net->n_running);
    if (!values) {
        status = BML_NN_NO_MEMORY;
    }
    if (!status) {
        status = bml_nn__fetch_own(values, net, f);
    }
    if (!status) {
        status = bml_nn__fetch_extras(net, f);
    }
    if (!status) {
        status = bml_nn__all_fetched(f);
    }
    if (!status) {
        bml_nn__accept(net, values);
    }
    BML_NN_FREE(values);
    if (status) {
        bml_nn_free(net);
    } else {
        *out = net;
    }
    return status;
}

BML_NN_DEF int(bml_nn_decode)(bml_nn **out, const unsigned char *bytes, size_t size, char *why) {
    char message[BML_NN_MESSAGE] = "";
    bml_nn__file f;
    if (out) {
        *out = NULL;
    }
    if (!out || (!bytes && size)) {
        return bml_nn__reason(why, BML_NN_BAD_ARGUMENT, "a net is read from bytes, to a place");
    }
    int status = bml_nn__file_read(&f, bytes, size, message);
    if (!status) {
        status = bml_nn__decode_file(out, &f);
    }
    bml_nn__file_free(&f);
    return bml_nn__reason(why, status, message);
}

/* The whole file, or NULL with the status; *size. */
static unsigned char *bml_nn__slurp(const char *path, size_t *size, int *status, char *message) {
    bml_nn__buffer b = {NULL, 0, 0, 0};
    unsigned char block[4096];
    FILE *f = path ? fopen(path, "rb") : NULL;
    *status = bml_nn__fail(message, BML_NN_CANNOT_OPEN, "%.400s", path ? path : "no path");
    if (!f) {
        return NULL;
    }
    size_t n = fread(block, 1, sizeof block, f);
    while (n > 0) {
        bml_nn__put(&b, block, n);
        n = fread(block, 1, sizeof block, f);
    }
    int failed = ferror(f);
    fclose(f);
    if (!failed && !b.failed && !b.p) {
        b.p = (unsigned char *)BML_NN_MALLOC(1); /* an empty file */
    }
    if (!failed && !b.failed && b.p) {
        message[0] = 0;
        *status = BML_NN_OK;
        *size = b.n;
        return b.p;
    }
    if (!failed) {
        *status = BML_NN_NO_MEMORY;
    }
    BML_NN_FREE(b.p);
    return NULL;
}

/* A file is written whole under a temporary name, PATH.part-N, then renamed: a reader never sees half a file. N is the
   first number that no other writer holds, so that writers to one path do not meet: each file is whole, and the last
   one stays. What a killed writer leaves behind is replaced by the next one. */

enum { BML_NN__SLOTS = 64 };

static int bml_nn__part_name(char *name, size_t room, const char *path, int slot) {
    int n = snprintf(name, room, "%s.part-%d", path, slot);
    return n > 0 && (size_t)n < room;
}

#ifdef BML_NN__POSIX

/* Opens the slot and locks it: the lock ends with the writer, however that ends. *fd is -1 when another holds it.
   Returns
   0 when the file cannot be opened at all. A name that came to mean another file, or holds what a dead writer left, is
   tried again. */
static int bml_nn__open_slot(int *fd, const char *name) {
    for (int tries = 0; tries < 100; tries++) {
        struct stat opened;
        struct stat named;
        *fd = open(name, O_RDWR | O_CREAT, 0666);
        if (*fd < 0) {
            return 0;
        }
        int busy = flock(*fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
        int same = !busy && !fstat(*fd, &opened) && !stat(name, &named);
        same = same && opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
        if (same && opened.st_size == 0) {
            return 1;
        }
        if (same) {
            remove(name);
        }
        close(*fd);
        *fd = -1;
        if (busy) {
            return 1;
        }
    }
    return 1;
}

static int bml_nn__write_slot(const char *name, const char *path, const unsigned char *bytes, size_t size,
                              int *status) {
    int fd;
    *status = BML_NN_CANNOT_OPEN;
    if (!bml_nn__open_slot(&fd, name)) {
        return 1;
    }
    if (fd < 0) {
        return 0;
    }
    *status = BML_NN_OK;
    while (size && *status == BML_NN_OK) {
        ssize_t n = write(fd, bytes, size < 1 << 30 ? size : 1 << 30);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            *status = BML_NN_CANNOT_WRITE;
            break;
        }
        bytes += n;
        size -= (size_t)n;
    }
    if (*status == BML_NN_OK && rename(name, path)) {
        *status = BML_NN_CANNOT_WRITE;
    }
    if (*status) {
        remove(name);
    }
    if (close(fd) && *status == BML_NN_OK) {
        *status = BML_NN_CANNOT_WRITE;
    }
    return 1;
}

#else

/* In C alone: a file of that name belongs to another writer, or to a dead one, whose file can be removed only there. */
static int bml_nn__write_slot(const char *name, const char *path, const unsigned char *bytes, size_t size,
                              int *status) {
    FILE *f = fopen(name, "rb");
    *status = BML_NN_CANNOT_OPEN;
    if (f) {
        fclose(f);
        if (remove(name)) {
            return 0;
        }
    }
    f = fopen(name, "wb");
    if (!f) {
        return 1;
    }
    int ok = fwrite(bytes, 1, size, f) == size;
    if (fclose(f)) {
        ok = 0;
    }
    if (ok && rename(name, path)) {
        ok = !remove(path) && !rename(name, path);
    }
    if (!ok) {
        remove(name);
    }
    *status = ok ? BML_NN_OK : BML_NN_CANNOT_WRITE;
    return 1;
}

#endif

static int bml_nn__spill(bml_nn *net, const char *path, const unsigned char *bytes, size_t size) {
    const size_t room = path ? strlen(path) + 32 : 0;
    char *name = room > 32 ? (char *)BML_NN_MALLOC(room) : NULL;
    int status = BML_NN_CANNOT_WRITE;
    if (!name) {
        return bml_nn__fail(net->message, room > 32 ? BML_NN_NO_MEMORY : BML_NN_BAD_ARGUMENT, "the path of a file");
    }
    for (int slot = 0; slot < BML_NN__SLOTS; slot++) {
        int fits = bml_nn__part_name(name, room, path, slot);
        if (!fits || bml_nn__write_slot(name, path, bytes, size, &status)) {
            break;
        }
        status = BML_NN_CANNOT_WRITE; /* others hold this one */
    }
    BML_NN_FREE(name);
    return status ? bml_nn__fail(net->message, status, "%.400s", path) : BML_NN_OK;
}

BML_NN_DEF int bml_nn_save(bml_nn *net, const char *path, int storage) {
    unsigned char *bytes = NULL;
    size_t size = 0;
    int status = bml_nn_encode(net, &bytes, &size, storage);
    if (!status) {
        status = bml_nn__spill(net, path, bytes, size);
    }
    BML_NN_FREE(bytes);
    return status;
}

BML_NN_DEF int(bml_nn_load)(bml_nn **net, const char *path, char *why) {
    size_t size = 0;
    char message[BML_NN_MESSAGE];
    if (!net) {
        return bml_nn__reason(why, BML_NN_BAD_ARGUMENT, "no place for the net");
    }
    *net = NULL;
    int status;
    unsigned char *bytes = bml_nn__slurp(path, &size, &status, message);
    if (!bytes) {
        return bml_nn__reason(why, status, message);
    }
    status = bml_nn_decode(net, bytes, size, why);
    BML_NN_FREE(bytes);
    return status;
}

typedef struct bml_nn__word { /* a tensor's name here and there */
    const char *ours;
    const char *theirs;
    const char *second; /* the other bias of a cell */
} bml_nn__word;

/* PyTorch's name of a tensor of ours without the layer's; second = 1: of its other bias. "" if there is none. */
static void bml_nn__pytorch_name(char *name, size_t room, const bml_nn__tensor *t, int recurrent, int second,
                                 int level) {
    static const bml_nn__word words[] = {{"kernel", "weight", ""},     {"gamma", "weight", ""},
                                         {"bias", "bias", ""},         {"beta", "bias", ""},
                                         {"mean", "running_mean", ""}, {"variance", "running_var", ""}};
    static const bml_nn__word cell[] = {
        {"kernel", "weight_ih", ""}, {"recurrent", "weight_hh", ""}, {"bias", "bias_ih", "bias_hh"}};
    const int reverse = strstr(t->what, "_reverse") != NULL;
    name[0] = 0;
    for (int k = 0; k < 6 && !recurrent; k++) {
        if (!strcmp(t->what, words[k].ours)) {
            snprintf(name, room, "%s", words[k].theirs);
        }
    }
    for (int k = 0; k < 3 && recurrent; k++) {
        if (!strncmp(t->what, cell[k].ours, strlen(cell[k].ours))) {
            const char *base = second ? cell[k].second : cell[k].theirs;
            snprintf(name, room, "%s_l%d%s", base, level, reverse ? "_reverse" : "");
        }
    }
}

/* PyTorch's number of column j of our gates: r z n for our z r n. */
static ptrdiff_t bml_nn__pytorch_column(const bml_nn_layer *l, ptrdiff_t j) {
    const ptrdiff_t u = l->units;
    if (l->kind != BML_NN_GRU || j >= 2 * u) {
        return j;
    }
    return j < u ? j + u : j - u;
}

/* Values as PyTorch has them, dimensions reversed, to ours: kernels. */
static void bml_nn__turn_kernel(bml_nn_real *to, const bml_nn_real *values, const bml_nn__tensor *t,
                                const bml_nn_layer *l, int recurrent) {
    const ptrdiff_t G = t->shape[t->rank - 1];
    const ptrdiff_t middle = t->rank == 3 ? t->shape[1] : 1;
    const ptrdiff_t in = t->rank == 1 ? 1 : t->shape[0];
    for (ptrdiff_t i = 0; i < in; i++) {
        for (ptrdiff_t c = 0; c < middle; c++) {
            for (ptrdiff_t j = 0; j < G; j++) {
                ptrdiff_t from = recurrent ? bml_nn__pytorch_column(l, j) : j;
                to[(i * middle + c) * G + j] = values[(from * middle + c) * in + i];
            }
        }
    }
}

/* The same for the biases of a cell: two rows where ours has two, else their sum. */
static void bml_nn__turn_bias(bml_nn_real *to, const bml_nn_real *values, const bml_nn__tensor *t,
                              const bml_nn_layer *l, int second) {
    const ptrdiff_t G = t->shape[t->rank - 1];
    for (ptrdiff_t j = 0; j < G; j++) {
        bml_nn_real v = values[bml_nn__pytorch_column(l, j)];
        if (t->rank == 2) {
            to[second * G + j] = v;
        } else {
            to[j] = second ? v + to[j] : v;
        }
    }
}

/* One tensor of ours from PyTorch's state_dict. */
static int bml_nn__fetch_pytorch(bml_nn_real *to, const bml_nn *net, const bml_nn__tensor *t, bml_nn__file *f) {
    const bml_nn__node *n = &net->nodes[t->node];
    const int recurrent = bml_nn__kinds[n->spec.kind].plan == bml_nn__plan_recurrent;
    const int bias = recurrent && !strncmp(t->what, "bias", 4);
    const int rank = bias ? 1 : t->rank;
    ptrdiff_t shape[BML_NN__MAX_RANK] = {0, 0, 0};
    const bml_nn_alias *alias = bml_nn__alias_of(f, n->name);
    char name[BML_NN__KEY];
    char what[48];
    if (n->spec.reset_before || n->spec.kind == BML_NN_BAYES) {
        return bml_nn__fail(f->message, BML_NN_MISMATCH,
                            "layer \"%s\": PyTorch has no such layer (its GRU resets after the product)", n->name);
    }
    for (int k = 0; k < rank; k++) {
        shape[k] = t->shape[t->rank - 1 - k];
    }
    bml_nn_real *values = bml_nn__alloc_reals(t->count);
    if (!values) {
        return bml_nn__fail(f->message, BML_NN_NO_MEMORY, "\"%s.%s\"", n->name, t->what);
    }
    int status = BML_NN_OK;
    for (int second = 0; second <= bias && !status; second++) {
        bml_nn__pytorch_name(what, sizeof what, t, recurrent, second, alias ? alias->level : 0);
        bml_nn__name_there(name, f, n->name, what);
        status = bml_nn__fetch_tensor(values, f, name, rank, shape);
        if (status) {
            break;
        }
        if (bias) {
            bml_nn__turn_bias(to, values, t, &n->spec, second);
        } else {
            bml_nn__turn_kernel(to, values, t, &n->spec, recurrent);
        }
    }
    BML_NN_FREE(values);
    return status;
}

/* Counts of PyTorch's batch norm, and what has not the prefix, may be left over. */
static void bml_nn__pass_over(bml_nn__file *f) {
    const char *prefix = f->naming->prefix ? f->naming->prefix : "";
    for (int i = 0; i < f->n; i++) {
        bml_nn__entry *e = &f->entries[i];
        const char *dot = strrchr(e->name, '.');
        int count = dot && !strcmp(dot, ".num_batches_tracked");
        int foreign = strncmp(e->name, prefix, strlen(prefix)) != 0;
        if (count || foreign) {
            e->fetched = 1;
        }
    }
}

/* A number of a norm from the metadata, `value` if there is none; 0 if it is none, or not in (0, 1]. */
static int bml_nn__norm_number(double *value, const bml_nn__file *f, const char *layer, const char *what) {
    char key[BML_NN__KEY];
    bml_nn__name_there(key, f, layer, what);
    const char *text = bml_nn__find_text(f, key);
    if (!*text) {
        return 1;
    }
    return bml_nn__parse_decimal(value, text) && *value > 0 && *value <= 1;
}

/* Epsilon and momentum of norm i, as the file has them; store = 0 only looks at them. */
static int bml_nn__fetch_norm(bml_nn *net, bml_nn__file *f, int i, int store) {
    bml_nn__node *n = &net->nodes[i];
    const int batch = n->spec.kind == BML_NN_BATCH_NORM;
    double epsilon = f->naming->convention == BML_NN_KERAS && !n->epsilon_given ? 0 : n->spec.epsilon;
    double momentum = n->spec.momentum;
    if (!batch && n->spec.kind != BML_NN_LAYER_NORM) {
        return BML_NN_OK;
    }
    int good = bml_nn__norm_number(&epsilon, f, n->name, "epsilon");
    good = good && (!batch || bml_nn__norm_number(&momentum, f, n->name, "momentum"));
    if (!good) {
        return bml_nn__fail(f->message, BML_NN_MISMATCH,
                            "layer \"%s\": epsilon or momentum of the file is no number in "
                            "(0, 1]",
                            n->name);
    }
    if (!(epsilon > 0)) {
        return bml_nn__fail(f->message, BML_NN_MISMATCH,
                            "layer \"%s\": its epsilon is not known (Keras' default is 1e-3): set .epsilon, or put "
                            "\"%s.epsilon\" into the file's metadata",
                            n->name, n->name);
    }
    if (store) {
        n->spec.epsilon = epsilon;
        n->spec.momentum = momentum;
        n->epsilon_given = 1;
    }
    return BML_NN_OK;
}

static int bml_nn__fetch_norms(bml_nn *net, bml_nn__file *f, int store) {
    int status = BML_NN_OK;
    for (int i = 0; i < net->n_nodes && !status; i++) {
        status = bml_nn__fetch_norm(net, f, i, store);
    }
    return status;
}

/* The tensors of another program's file, whose header is read. */
static int bml_nn__fetch_weights(bml_nn *net, bml_nn__file *f) {
    const int pytorch = f->naming->convention == BML_NN_PYTORCH;
    int status = bml_nn__fetch_norms(net, f, 0);
    if (status) {
        return status;
    }
    bml_nn_real *values = bml_nn__alloc_reals(net->n_params + net->n_running);
    if (!values) {
        return bml_nn__fail(f->message, BML_NN_NO_MEMORY, "weights");
    }
    if (!pytorch) {
        status = bml_nn__fetch_own(values, net, f);
    }
    for (int i = 0; i < net->n_tensors && !status && pytorch; i++) {
        const bml_nn__tensor *t = &net->tensors[i];
        bml_nn_real *to = values + t->offset + (t->running ? net->n_params : 0);
        status = bml_nn__fetch_pytorch(to, net, t, f);
    }
    if (!status) {
        status = bml_nn__check_variances(values, net, f);
    }
    bml_nn__pass_over(f);
    if (!status) {
        status = bml_nn__all_fetched(f);
    }
    if (!status) {
        bml_nn__accept(net, values);
        bml_nn__fetch_norms(net, f, 1);
    }
    BML_NN_FREE(values);
    return status;
}

BML_NN_DEF int bml_nn_load_weights(bml_nn *net, const char *path, int convention) {
    const bml_nn_import how = {convention, NULL, NULL, 0};
    return bml_nn_import_weights(net, path, &how);
}

/* Names that are there, and layers that exist. */
static int bml_nn__check_import(bml_nn *net, const bml_nn_import *how) {
    if (how->convention < BML_NN_KERAS || how->convention > BML_NN_PYTORCH) {
        return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "convention = %d: must be in [0, %d]", how->convention,
                            BML_NN_PYTORCH);
    }
    if (how->n_aliases < 0 || (how->n_aliases > 0 && !how->aliases)) {
        return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "n_aliases = %d, and no aliases", how->n_aliases);
    }
    for (int k = 0; k < how->n_aliases; k++) {
        const bml_nn_alias *a = &how->aliases[k];
        if (!a->layer || !a->module || a->level < 0 || a->level > 999) {
            return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "alias %d needs a layer, a module, a level >= 0", k);
        }
        if (bml_nn__find(net, a->layer, net->n_nodes) < 0) {
            return bml_nn__fail(net->message, BML_NN_BAD_ARGUMENT, "alias %d: no layer \"%.40s\"", k, a->layer);
        }
    }
    return BML_NN_OK;
}

BML_NN_DEF int bml_nn_import_weights(bml_nn *net, const char *path, const bml_nn_import *how) {
    size_t size = 0;
    bml_nn__file f;
    if (!net || !how) {
        return BML_NN_BAD_ARGUMENT;
    }
    int status = bml_nn__check_import(net, how);
    if (status) {
        return status;
    }
    unsigned char *bytes = bml_nn__slurp(path, &size, &status, net->message);
    if (!bytes) {
        return status;
    }
    status = bml_nn__file_read(&f, bytes, size, net->message);
    f.naming = how;
    if (!status) {
        status = bml_nn__fetch_weights(net, &f);
    }
    bml_nn__file_free(&f);
    BML_NN_FREE(bytes);
    return status;
}

#ifndef BML_NN_NO_TRAINING

/* >> checkpoints
   Of training: the net's tensors, the optimiser's, the best weights, and the counters as exact numbers. */

enum { BML_NN__COUNTERS = 13 }; /* one, and */
enum { BML_NN__DOUBLES = 8 };
enum { BML_NN__COUNTS = 4 };

/* Settings that must be the same when training goes on. */
static void bml_nn__identity(char *text, size_t size, const bml_nn_trainer *t) {
    const bml_nn_training *h = &t->how;
    const unsigned high = (unsigned)(h->seed >> 32);
    const unsigned low = (unsigned)(h->seed & 0xFFFFFFFFu);
    const double held = (double)t->n_held + (double)h->n_val;
    snprintf(text, size,
             "rows %.0f, validation %.0f, seed %08x%08x, loss %d, optimizer %d, batch %d, epochs %d, block %d, reals "
             "of %d bytes",
             (double)t->n_train, held, high, low, h->loss, h->optimizer, h->batch, h->epochs, h->block,
             (int)sizeof(bml_nn_real));
}

/* Words of 64 bits in four parts that a float holds exactly. */
static void bml_nn__put_word(bml_nn_real *to, uint64_t v) {
    for (int k = 0; k < 4; k++) {
        to[k] = (bml_nn_real)(v >> (16 * k) & 0xFFFFu);
    }
}

static uint64_t bml_nn__get_word(const bml_nn_real *from) {
    uint64_t v = 0;
    for (int k = 0; k < 4; k++) {
        v |= (uint64_t)from[k] << (16 * k);
    }
    return v;
}

/* What a checkpoint holds beside the tensors. */
typedef struct bml_nn__places {
    double *numbers[BML_NN__DOUBLES];
    int *counts[BML_NN__COUNTS];
} bml_nn__places;

static bml_nn__places bml_nn__places_of(bml_nn_trainer *t) {
    bml_nn_epoch *e = &t->last;
    bml_nn__places p = {{&e->loss, &e->val_loss, &e->accuracy, &e->val_accuracy, &e->learning_rate, &e->gradient_norm,
                         &e->best_loss, &e->penalty},
                        {&e->epoch, &e->batch, &e->best_epoch, &t->done}};
    return p;
}

static void bml_nn__save_counters(bml_nn_real *words, bml_nn_trainer *t) {
    bml_nn__places p = bml_nn__places_of(t);
    bml_nn__put_word(words, t->step);
    for (int i = 0; i < BML_NN__DOUBLES; i++) {
        uint64_t bits;
        memcpy(&bits, p.numbers[i], 8);
        bml_nn__put_word(words + 4 * (1 + i), bits);
    }
    for (int i = 0; i < BML_NN__COUNTS; i++) {
        bml_nn__put_word(words + 4 * (1 + BML_NN__DOUBLES + i), (uint64_t)*p.counts[i]);
    }
}

static void bml_nn__load_counters(bml_nn_trainer *t, const bml_nn_real *words) {
    bml_nn__places p = bml_nn__places_of(t);
    t->step = bml_nn__get_word(words);
    for (int i = 0; i < BML_NN__DOUBLES; i++) {
        uint64_t bits = bml_nn__get_word(words + 4 * (1 + i));
        memcpy(p.numbers[i], &bits, 8);
    }
    for (int i = 0; i < BML_NN__COUNTS; i++) {
        *p.counts[i] = (int)bml_nn__get_word(words + 4 * (1 + BML_NN__DOUBLES + i));
    }
}

/* Whether words[COUNTERS], v and the counters they hold can be those of this training; t keeps its own if not. */
static int bml_nn__good_counters(const bml_nn_trainer *t, const bml_nn_real *words, const bml_nn_real *v) {
    bml_nn_trainer trial = *t;
    for (int i = 0; i < 4 * BML_NN__COUNTERS; i++) {
        if (!(words[i] >= 0 && words[i] <= 65535 && words[i] == (bml_nn_real)(int)words[i])) {
            return 0;
        }
    }
    for (int i = 1 + BML_NN__DOUBLES; i < BML_NN__COUNTERS; i++) { /* counts are of 32 bits */
        if (words[4 * i + 2] > 0 || words[4 * i + 3] > 0) {
            return 0;
        }
    }
    for (ptrdiff_t i = 0; i < t->net->n_params; i++) {
        if (v[i] < 0) {
            return 0;
        }
    }
    bml_nn__load_counters(&trial, words);
    const bml_nn_epoch *e = &trial.last;
    if (e->epoch < 0 || e->epoch > t->how.epochs || e->batch < 0) {
        return 0;
    }
    if (e->best_epoch < 0 || e->best_epoch > e->epoch) {
        return 0;
    }
    return trial.step <= t->steps && (trial.done == 0 || trial.done == 1);
}

enum { BML_NN__OWN = 4 };

/* The trainer's own tensors, in a fixed order. */
static void bml_nn__trainer_entries(bml_nn__entry *e, bml_nn_trainer *t, bml_nn_real *words) {
    const ptrdiff_t n = t->net->n_params;
    bml_nn__vector_entry(&e[0], "bml_nn:trainer.counters", words, 4 * BML_NN__COUNTERS, BML_NN__NATIVE);
    bml_nn__vector_entry(&e[1], "bml_nn:trainer.m", t->m, n, BML_NN__NATIVE);
    bml_nn__vector_entry(&e[2], "bml_nn:trainer.v", t->v, n, BML_NN__NATIVE);
    bml_nn__vector_entry(&e[3], "bml_nn:trainer.best", t->best, n + t->net->n_running, BML_NN__NATIVE);
}

BML_NN_DEF int bml_nn_trainer_save(bml_nn_trainer *t, const char *path) {
    bml_nn__buffer b = {NULL, 0, 0, 0};
    bml_nn_real words[4 * BML_NN__COUNTERS] = {0};
    char identity[256];
    const char *texts[] = {"bml_nn.training", identity, NULL};
    if (!t || !path) {
        return BML_NN_BAD_ARGUMENT;
    }
    const ptrdiff_t most = t->net->n_tensors + BML_NN__OWN;
    bml_nn__entry *entries = (bml_nn__entry *)bml_nn__alloc(most, sizeof *entries);
    if (!entries) {
        return bml_nn__fail(t->net->message, BML_NN_NO_MEMORY, "a checkpoint");
    }
    int n = bml_nn__list_tensors(entries, t->net, BML_NN__NATIVE);
    bml_nn__identity(identity, sizeof identity, t);
    bml_nn__save_counters(words, t);
    bml_nn__trainer_entries(entries + n, t, words);
    int status = bml_nn__put_file(&b, t->net, entries, n + BML_NN__OWN, texts);
    if (!status) {
        status = bml_nn__spill(t->net, path, b.p, b.n);
    }
    BML_NN_FREE(entries);
    BML_NN_FREE(b.p);
    return status;
}

/* The checkpoint of a file whose header is read; the trainer changes when all of it is good. */
static int bml_nn__fetch_checkpoint(bml_nn_trainer *t, bml_nn__file *f) {
    const ptrdiff_t weights = t->net->n_params + t->net->n_running;
    bml_nn__entry own[BML_NN__OWN];
    bml_nn_real words[4 * BML_NN__COUNTERS] = {0};
    bml_nn_real *values[BML_NN__OWN];
    bml_nn__arena a = {NULL, 0};
    char identity[256];
    bml_nn__identity(identity, sizeof identity, t);
    const char *found = bml_nn__find_text(f, "bml_nn.training");
    if (strcmp(found, identity)) {
        return bml_nn__fail(f->message, BML_NN_MISMATCH, "the checkpoint is of another training: %.200s",
                            *found ? found : "none");
    }
    bml_nn__trainer_entries(own, t, words);
    bml_nn__take_reals(&a, weights);
    for (int i = 0; i < BML_NN__OWN; i++) {
        bml_nn__take_reals(&a, own[i].count);
    }
    int status = bml_nn__make_block(&a);
    if (status) {
        return bml_nn__fail(f->message, status, "a checkpoint: %s", bml_nn_strerror(status));
    }
    bml_nn_real *net = bml_nn__take_reals(&a, weights);
    status = bml_nn__fetch_own(net, t->net, f);
    for (int i = 0; i < BML_NN__OWN; i++) {
        values[i] = bml_nn__take_reals(&a, own[i].count);
        if (!status) {
            status = bml_nn__fetch_tensor(values[i], f, own[i].name, 1, own[i].shape);
        }
    }
    if (!status) {
        status = bml_nn__all_fetched(f);
    }
    if (!status && !bml_nn__good_counters(t, values[0], values[2])) {
        status = bml_nn__fail(f->message, BML_NN_BAD_FILE, "the counters of the checkpoint make no sense");
    }
    if (!status) {
        bml_nn__accept(t->net, net);
        bml_nn__load_counters(t, values[0]);
        bml_nn__copy(t->m, values[1], own[1].count);
        bml_nn__copy(t->v, values[2], own[2].count);
        bml_nn__copy(t->best, values[3], own[3].count);
    }
    BML_NN_FREE(a.base);
    return status;
}

BML_NN_DEF int bml_nn_trainer_load(bml_nn_trainer *t, const char *path) {
    size_t size = 0;
    int status;
    bml_nn__file f;
    if (!t) {
        return BML_NN_BAD_ARGUMENT;
    }
    unsigned char *bytes = bml_nn__slurp(path, &size, &status, t->net->message);
    if (!bytes) {
        return status;
    }
    status = bml_nn__file_read(&f, bytes, size, t->net->message);
    if (!status) {
        status = bml_nn__fetch_checkpoint(t, &f);
    }
    bml_nn__file_free(&f);
    BML_NN_FREE(bytes);
    return status;
}

#endif /* BML_NN_NO_TRAINING */
#endif /* BML_NN_NO_FILES */

#undef BML_NN__ACTIVATION_TABLE
#undef BML_NN__ACTIVE
#undef BML_NN__AT
#undef BML_NN__BIT
#undef BML_NN__CHUNK
#undef BML_NN__CONST_AT
#undef BML_NN__DEPTH
#undef BML_NN__EIGHT
#undef BML_NN__EPSILON
#undef BML_NN__FETCH
#undef BML_NN__MOMENTUM
#undef BML_NN__FIRST
#undef BML_NN__FOUR
#undef BML_NN__FOURS
#undef BML_NN__HIGH
#undef BML_NN__INDEPENDENT
#undef BML_NN__INLINE
#undef BML_NN__INT_FIELD
#undef BML_NN__INT_RULE
#undef BML_NN__INT_SETTING
#undef BML_NN__LANES
#undef BML_NN__LAST
#undef BML_NN__LOW
#undef BML_NN__MOST
#undef BML_NN__MOST_STATES
#undef BML_NN__MOST_UNITS
#undef BML_NN__NAN
#undef BML_NN__PANEL
#undef BML_NN__POSIX
#undef BML_NN__PRINTF
#undef BML_NN__R
#undef BML_NN__REAL_FIELD
#undef BML_NN__REAL_RULE
#undef BML_NN__REAL_SETTING
#undef BML_NN__RECURRENT
#undef BML_NN__RESTRICT
#undef BML_NN__ROWS
#undef BML_NN__SHAPED
#undef BML_NN__SUMS
#undef BML_NN__TURN
#undef BML_NN__UNROLL
#undef BML_NN__VECTOR

#endif /* BML_NN_IMPLEMENTATION */

/* HISTORY
   0.1.0  layers, training, uncertainty, model files
   0.2.0  reasons of failing creates and loads as text, rules that name member, value and range, files under names of
          their own, gates; padded rows, norm settings, biases by choice, names of other programs; the penalty beside
          the loss

   LICENCE

   This software is available under two licences: choose whichever you prefer.

   ------------------------------------------------------------------------------
   ALTERNATIVE A - Public domain (www.unlicense.org)

   This is free and unencumbered software released into the public domain.

   Anyone is free to copy, modify, publish, use, compile, sell, or distribute this
   software, either in source code form or as a compiled binary, for any purpose,
   commercial or non-commercial, and by any means.

   In jurisdictions that recognize copyright laws, the author or authors of this
   software dedicate any and all copyright interest in the software to the public
   domain. We make this dedication for the benefit of the public at large and to
   the detriment of our heirs and successors. We intend this dedication to be an
   overt act of relinquishment in perpetuity of all present and future rights to
   this software under copyright law.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
   IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
   FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
   AUTHORS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN
   ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION
   WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

   ------------------------------------------------------------------------------
   ALTERNATIVE B - MIT License

   Copyright (c) 2026 the authors of bml

   Permission is hereby granted, free of charge, to any person obtaining a copy of
   this software and associated documentation files (the "Software"), to deal in
   the Software without restriction, including without limitation the rights to
   use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies
   of the Software, and to permit persons to whom the Software is furnished to do
   so, subject to the following conditions:

   The above copyright notice and this permission notice shall be included in all
   copies or substantial portions of the Software.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
   IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
   FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
   AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
   LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
   OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
   SOFTWARE.
   */
