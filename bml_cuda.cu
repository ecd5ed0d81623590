/* bml_cuda.cu - the GPU side of bml: Compton sampling, SSC spectra, SED likelihoods, networks and their training on an
   NVIDIA card, in one file, called from C.

       make cuda                 builds build/libbml_cuda.so (nvcc 12 or newer): link with -lbml_cuda
       #include "bml_cuda.cu"    in C, C++ and CUDA gives the declarations, and nothing else; in one .cu file of yours,
                                 after #define BML_CUDA_IMPLEMENTATION, the functions too

   A complete program, a thousand million photons of 1e-9 m_e c^2 scattered by electrons of gamma = 1e4, as a spectrum:

       #include <stdio.h>
       #include "bml_cuda.cu"
       int main(void) {
           uint64_t counts[102];
           bml_cuda_photons photons = { .n = 1000000000, .same_gamma = 1e4f, .same_eps0 = 1e-9f };
           bml_cuda_bins bins = { .counts = counts, .bins = 100, .lower = 1e-9, .upper = 1 };
           bml_cuda *cuda;
           bml_cuda_compton *sampler = NULL;
           int status = bml_cuda_create(&cuda, 0);
           if (!status) status = bml_cuda_compton_create(&sampler, NULL, cuda);
           if (!status) status = bml_cuda_compton_histogram_host(&bins, &photons, sampler);
           if (status) return printf("%s %s\n", bml_cuda_strerror(status), bml_cuda_message(cuda)), 1;
           for (int i = 1; i <= 100; i++) printf("%llu\n", (unsigned long long)counts[i]);
           bml_cuda_compton_free(sampler);
           bml_cuda_free(cuda);
           return 0;
       }

   Without a card every call answers BML_CUDA_NO_DEVICE. It refuses: layers of a network that have no code here (see
   bml_cuda_net_load, bml_cuda_train_host), sources with callbacks, tables or fields from outside: those are the CPU
   headers' work.
   State: no card has run this file yet. Its source text has, on the CPU (tests/test_cuda.c): run tests/cuda_checks.cu
   before you trust a card with it. */

/* ---- Setup, use, shutdown ------------------------------------------------------------------------------------------

   1. bml_cuda_create(&cuda, 0): opens a card. A failing create still gives an object, whose message says why.
   2. Make what you need, once: bml_cuda_compton_create, bml_cuda_ssc_create, bml_cuda_net_load,
      bml_cuda_trainer_create. That is where memory is taken and tables are made; the calls that follow allocate nothing
      and wait for nothing.
   3. Hot calls take device pointers and a stream (a cudaStream_t, or NULL for the default one) and return once the
      work is queued. bml_cuda_alloc, _put, _get, _wait are enough to feed them from a C program without the runtime.
   4. Calls that end in _host take host pointers, copy to and fro, and wait: for programs that call once, and for
      bml_cuda_train_host, which stands in for bml_nn_train. Their memory on the device is kept for the next such call;
      bml_cuda_trim gives it back.
   5. bml_cuda_compton_free and so on, bml_cuda_free last.
   An object, and what was made from it, belongs to one thread and one stream at a time. Calls set the thread's current
   device to the object's. An error that the CUDA runtime holds for you is neither reported nor cleared.

   CUDA graphs: hot calls may be captured. What changes from replay to replay lives on the device: the photons' counter
   (bml_cuda_photons.counter), the trainer's step, its dropout and its sums. The learning rate is the captured one.

   ---- Options -------------------------------------------------------------------------------------------------------

   BML_CUDA_IMPLEMENTATION     this file gives the functions, not only their declarations; in nvcc
   BML_CUDA_STATIC             all functions static (define with the above)
   BML_CUDA_NO_TRAINING        without bml_cuda_train_host and bml_cuda_trainer_...
   BML_CUDA_CUBLASLT           training's large products by cuBLASLt: link with -lcublasLt, of the CUDA toolkit (Debian:
                               nvidia-cuda-toolkit; NVIDIA's packages: libcublas-dev-13-0). See "Training" below
   BML_CUDA_IMPLEMENTED        defined where the functions exist already; define it yourself when you link them
   BML_CUDA_ON_HOST="file.h"   with BML_CUDA_IMPLEMENTATION in a C++ compiler: the whole library on the CPU, with the
                               file's imitation of CUDA (tests/cuda_on_host.h); for tests, slow
   Private copies of bml_sample.h, bml_ssc.h and bml_nn.h are inside, static: they meet no others, if none of the three
   was included before. It is not for HIP, whose matrix instructions differ: there call the inline functions of
   bml_sample.h in kernels of your own.

   WHAT RUNS WHERE

   Compton: a warp takes 32 Philox blocks, four photons a lane; the same words go to the same photons as in
   bml_sample_comptonf, so that energies agree to rounding: except that TABLE, where energies or counts alone are wanted
   and numbers come from Philox, goes through kernels in which they agree to the table's own error (CDF to 1.1e-4). From
   the machine code (tests/sass_slots.py) a photon costs 30 to 33 issue slots there for one pair, 37 to 40 as a count,
   131 to 147 from arrays, of which a multiprocessor of Hopper has four a cycle for 32 photons each. The table (32 KiB)
   lies in shared memory, the weights of the small net in the constant bank. The published net, 3-16-16-16-1 (Charles &
   Chen 2024), goes through tensor cores in half precision: the accumulators of one layer are the operand of the next,
   without leaving the registers; u, log gamma and log eps0 are pairs of halves times pairs of halves in its first
   layer, 22 bits.
   SSC: one block a source, its whole state in shared memory (69 KB of floats for the widest limits: three blocks a
   multiprocessor of Hopper), the algorithm of bml_ssc.h with photons as x n(x) and kernels times 4E/G, which keeps all
   numbers within float's range. It reads that memory 2.3e5 times a warp for a source of gamma_max 1e6 in 0.1 G, 5.7e5
   for the widest one, and Hopper does so once a cycle and multiprocessor: no more than 1.1e6 and 4.6e5 a second.
   Networks: a block takes 16 or 64 rows through all layers in one launch; weights stream past in the order in which
   tensor cores want them.
   Half precision: products are exact and summed in float; what is rounded to 11 bits (bfloat16: 8) is every weight and
   every input of a product. States of recurrent layers are float. F16 ends at 65504: scale inputs in the model. TF32
   rounds to the same 11 bits with float's range, at half the speed.
   Training: weights, moments, sums and states are float, the loss double; every sum in one order, so that a run
   repeats to the bit. With tf32 the factors of products are rounded to 11 bits. A batch is a few launches a layer and
   step, some 250 for the published GRU, of a few us each whatever their size: that bounds batches of 32, unless a step
   is captured as a CUDA graph, which is launched at once. The kernel of products uses, by its count, 4 % of tf32's peak
   on Hopper and 27 % of float's. With BML_CUDA_CUBLASLT products of 2^24 multiply-adds and more, 1.5 us of that kernel,
   about what a launch takes, go to that library, which sums in an order of its own, the same in each run. A trainer
   holds its handle and workspace (32 MiB on Hopper and later, 4 MiB before). Take one step before capturing one: the
   library loads its kernels then.

   WHEN NOT TO USE IT: a few thousand photons or ten spectra a call, which the CPU has done before the card has begun;
   training a net of a few thousand weights in batches of 32; what the three headers say of their physics holds here,
   too. */
#ifndef BML_CUDA_H
#define BML_CUDA_H
#define BML_CUDA_VERSION 200 /* 0.2.0: 10000 major + 100 minor + patch */
#include <stddef.h>
#include <stdint.h>
#ifndef BML_CUDA_DEF
#if defined(BML_CUDA_STATIC) && (defined(__GNUC__) || defined(__clang__))
#define BML_CUDA_DEF static __attribute__((unused))
#elif defined(BML_CUDA_STATIC)
#define BML_CUDA_DEF static
#elif defined(__cplusplus)
#define BML_CUDA_DEF extern "C"
#else
#define BML_CUDA_DEF extern
#endif
#endif

/* ---- status ---- */
/* name, value, message. Everything but OK is negative. */
#define BML_CUDA_STATUS_TABLE(X)                                                                                \
    X(BML_CUDA_OK, 0, "no error")                                                                               \
    X(BML_CUDA_NO_DEVICE, -1, "there is no CUDA device, or its driver is missing or too old")                   \
    X(BML_CUDA_BAD_ARGUMENT, -2, "an argument is missing, NaN, or out of range")                                \
    X(BML_CUDA_NO_MEMORY, -3, "out of memory, of the host or of the device")                                    \
    X(BML_CUDA_TOO_LARGE, -4, "sizes whose product overflows, or that do not fit the device")                   \
    X(BML_CUDA_RUNTIME, -5, "a CUDA call failed: the message has its text")                                     \
    X(BML_CUDA_OUT_OF_DOMAIN, -6, "gamma or eps0 is out of range, or no energy eps0 <= eps <= eps_max is left") \
    X(BML_CUDA_BAD_MODEL, -7, "no model file of bml_nn.h, or it has a layer that runs on the CPU only")         \
    X(BML_CUDA_PARAMETER, -8, "a parameter of the source is NaN, infinite or outside its range")                \
    X(BML_CUDA_ORDER, -9, "gamma_max must be above gamma_min")                                                  \
    X(BML_CUDA_OUTSIDE, -10, "the source is outside the limits that the solver was made for")                   \
    X(BML_CUDA_NOT_CONVERGED, -11, "not converged: the best estimate is delivered")                             \
    X(BML_CUDA_NAN, -12, "the loss or its gradient is not finite: the weights are the last good ones")          \
    X(BML_CUDA_CANCELLED, -13, "stopped by the callback")
#define BML_CUDA__ENUM(name, value, text) name = value,
enum { BML_CUDA_STATUS_TABLE(BML_CUDA__ENUM) BML_CUDA__STATUS_END = 1 };
#undef BML_CUDA__ENUM

/* The message of a status; "unknown status" for other numbers. Static text. */
BML_CUDA_DEF const char *bml_cuda_strerror(int status);

/* ---- the device ---- */
typedef struct bml_cuda bml_cuda;
typedef void *bml_cuda_stream; /* a cudaStream_t; NULL = the default stream */

/* Opens device number `device`. *cuda exists unless NO_MEMORY, so that its message can be read; free it. NO_DEVICE,
   BAD_ARGUMENT, NO_MEMORY. */
BML_CUDA_DEF int bml_cuda_create(bml_cuda **cuda, int device);
BML_CUDA_DEF void bml_cuda_free(bml_cuda *cuda); /* NULL is fine */
BML_CUDA_DEF void bml_cuda_trim(bml_cuda *cuda); /* gives back what calls with host pointers keep */
BML_CUDA_DEF const char *
bml_cuda_message(const bml_cuda *cuda);                       /* what the last failing call has to add; "" if nothing */
BML_CUDA_DEF const char *bml_cuda_name(const bml_cuda *cuda); /* of the device, "" without one */

/* Device memory for programs that do not use the CUDA runtime themselves; copies are queued on the stream. The host
   memory of a put or get must live until bml_cuda_wait. BAD_ARGUMENT, NO_MEMORY, NO_DEVICE, RUNTIME. */
BML_CUDA_DEF int bml_cuda_alloc(void **device, size_t bytes, bml_cuda *cuda);
BML_CUDA_DEF int bml_cuda_release(void *device, bml_cuda *cuda); /* waits for the device; NULL is fine */
typedef struct bml_cuda_copy {
    void *to;
    const void *from;
    size_t bytes;
} bml_cuda_copy;
BML_CUDA_DEF int bml_cuda_put(const bml_cuda_copy *copy, bml_cuda_stream stream, bml_cuda *cuda); /* host to device */
BML_CUDA_DEF int bml_cuda_get(const bml_cuda_copy *copy, bml_cuda_stream stream, bml_cuda *cuda); /* device to host */
BML_CUDA_DEF int bml_cuda_wait(bml_cuda_stream stream,
                               bml_cuda *cuda); /* until all that was queued is done; its errors */

/* ---- Compton sampling ---- */
enum { BML_CUDA_NET = 0, BML_CUDA_TABLE, BML_CUDA_PUBLISHED, BML_CUDA_N_METHODS };
enum { BML_CUDA_PUBLISHED_WEIGHTS = 3 * 16 + 2 * 256 + 16 + 49 };
enum { BML_CUDA_MAX_BINS = 2048 };

typedef struct bml_cuda_compton bml_cuda_compton;
typedef struct bml_cuda_compton_config {
    int method;           /* NET, TABLE: as in bml_sample.h. PUBLISHED: its authors' net, yours to bring */
    const float *weights; /* PUBLISHED: [BML_CUDA_PUBLISHED_WEIGHTS], copied; see below */
} bml_cuda_compton_config;
/* Weights of the published net: kernels [out][in] of the four layers, each followed by its biases; inputs u, log10
   gamma, log10 eps0; tanh but for the last layer, hardtanh; energy (1 + tanh(5 y)/tanh 5)/2 (eps_max - eps0) + eps0. */
/* Makes a sampler; config NULL: all defaults. *sampler is NULL after an error. BAD_ARGUMENT, NO_MEMORY, NO_DEVICE,
   RUNTIME. */
BML_CUDA_DEF int bml_cuda_compton_create(bml_cuda_compton **sampler, const bml_cuda_compton_config *config,
                                         bml_cuda *cuda);
BML_CUDA_DEF void bml_cuda_compton_free(bml_cuda_compton *sampler);

typedef struct bml_cuda_photons {
    uint64_t n;         /* photons to draw */
    const float *gamma; /* device [n] (or [pairs]), range as in bml_sample.h; NULL: the same for all, same_gamma */
    const float *eps0;  /* likewise; NULL: same_eps0 */
    float same_gamma;
    float same_eps0;
    size_t gamma_stride; /* numbers from one to the next; 0 = 1 */
    size_t eps0_stride;
    uint64_t pairs; /* photon i takes gamma and eps0 number i mod pairs; 0 = n */
    const float *u; /* device [n] in [0,1]: the inverse CDF there; NULL = drawn by Philox */
    uint64_t seed;  /* this and the next as bml_sample_rng_init takes them */
    uint64_t stream;
    uint64_t skip; /* blocks of the stream already used: the sum of bml_cuda_compton_blocks so far */
    /* device; NULL = not wanted: more blocks to skip, to which the call adds its own, so that a CUDA graph draws other
       photons at every replay */
    uint64_t *counter;
    float *rest; /* device [n] takes 1 - eps/gamma; NULL = not wanted. NET and TABLE */
    int half;    /* 1: energies come as 16-bit floats, over their largest value gamma b/(1+b), b = 4 gamma eps0 */
} bml_cuda_photons;
/* How many blocks of the stream a call for n photons uses: 64 for each 256, and a quarter of the rest. */
BML_CUDA_DEF uint64_t bml_cuda_compton_blocks(uint64_t n);

/* Photon energies [m_e c^2] after scattering, energy: device [n] float, or uint16_t with .half. A photon that is out
   of the domain, or has u outside [0,1], becomes NaN, and is counted: see below. Arrays must be aligned to their own
   type, no more. BAD_ARGUMENT, OUT_OF_DOMAIN (same_gamma, same_eps0), RUNTIME. */
BML_CUDA_DEF int bml_cuda_compton_sample(void *energy, const bml_cuda_photons *photons, bml_cuda_stream stream,
                                         bml_cuda_compton *sampler);

typedef struct bml_cuda_bins {
    uint64_t *counts; /* device [bins + 2]: below lower, the bins, upper and above; added to what is there */
    int bins;         /* 1 ... BML_CUDA_MAX_BINS, equal in log energy */
    double lower;     /* [m_e c^2] */
    double upper;
} bml_cuda_bins;
/* The same photons, counted by energy and not kept: any n. Those out of the domain are left out, and counted below. */
BML_CUDA_DEF int bml_cuda_compton_histogram(const bml_cuda_bins *bins, const bml_cuda_photons *photons,
                                            bml_cuda_stream stream, bml_cuda_compton *sampler);
/* *count = photons out of the domain since the last time this was asked. Waits for the stream. RUNTIME. */
BML_CUDA_DEF int bml_cuda_compton_refused(uint64_t *count, bml_cuda_stream stream, bml_cuda_compton *sampler);
/* All arrays on the host (counts are set, not added to). Allocates, waits; OUT_OF_DOMAIN if any photon is. */
BML_CUDA_DEF int bml_cuda_compton_sample_host(void *energy, const bml_cuda_photons *photons, bml_cuda_compton *sampler);
BML_CUDA_DEF int bml_cuda_compton_histogram_host(const bml_cuda_bins *bins, const bml_cuda_photons *photons,
                                                 bml_cuda_compton *sampler);

/* ---- synchrotron self-Compton spectra ---- */
typedef struct bml_cuda_source { /* members, units, defaults (0) and ranges as in bml_ssc_source, bml_ssc_observer */
    double R;
    double B;
    double gamma_min;
    double gamma_max;
    double compactness;
    double p;
    double t_end;
    double electron_escape;
    double gamma_break;
    double p2;
    double curvature;
    double redshift;
    double delta;
    double distance;     /* luminosity distance [cm], > 0 (bml_ssc_luminosity_distance) */
    int injection;       /* BML_SSC_POWER_LAW, _BROKEN, _LOG_PARABOLA, _CUTOFF; no table */
    int self_absorption; /* BML_SSC_SSA_OFF, _SSA, _SSA_HEATING */
    int pair_production;
} bml_cuda_source;

typedef struct bml_cuda_ssc bml_cuda_ssc;
typedef struct bml_cuda_ssc_config {
    int grid; /* these four as in bml_ssc_config: BML_SSC_CONVERGED (0) or BML_SSC_ATHENA, ... */
    int pitch;
    double spacing;
    double time_step;
    int single;       /* 1: in float, within 1e-3 dex of double; 0: in double */
    double gamma_max; /* of all sources, the largest; 0 = 1e10. Narrow limits need less memory a source */
    double B_min;     /* of all sources, the smallest; 0 = 1e-8 */
} bml_cuda_ssc_config;
/* Makes the tables (0.1 s on the CPU) and the workspace. *solver is NULL after an error. BAD_ARGUMENT, NO_MEMORY,
   TOO_LARGE, NO_DEVICE, RUNTIME. */
BML_CUDA_DEF int bml_cuda_ssc_create(bml_cuda_ssc **solver, const bml_cuda_ssc_config *config, bml_cuda *cuda);
BML_CUDA_DEF void bml_cuda_ssc_free(bml_cuda_ssc *solver);

typedef struct bml_cuda_spectra {
    double *out;                    /* [n][n_nu] nu F_nu [erg cm^-2 s^-1]; NaN where a source failed */
    int *status;                    /* [n] BML_CUDA_OK, _NOT_CONVERGED, _PARAMETER, _ORDER, _OUTSIDE */
    const bml_cuda_source *sources; /* [n] */
    const double *nu;               /* [n_nu] observer's frequencies [Hz] */
    const double *absorption;       /* [n_nu] factor, exp(-tau) of the background light; NULL = 1 */
    int n;
    int n_nu;
    int component; /* BML_SSC_TOTAL, _SYNCHROTRON, _COMPTON */
} bml_cuda_spectra;
/* Solves n sources from empty to t_end; all pointers on the device. n = 0 is fine. BAD_ARGUMENT, RUNTIME. */
BML_CUDA_DEF int bml_cuda_ssc_solve(const bml_cuda_spectra *spectra, bml_cuda_stream stream, bml_cuda_ssc *solver);
/* The same with host pointers; returns the status of the first source that failed. */
BML_CUDA_DEF int bml_cuda_ssc_solve_host(const bml_cuda_spectra *spectra, bml_cuda_ssc *solver);

/* ---- likelihoods ---- */
typedef struct bml_cuda_point { /* a bml_ssc_point, member by member */
    double nu;
    double nuFnu;
    double sigma_lo;
    double sigma_hi;
    int upper_limit;
} bml_cuda_point;
typedef struct bml_cuda_likelihoods {
    double *ln_l;             /* [n]; NaN where the model is, or a point is not as bml_ssc_log_likelihood wants it */
    const double *model;      /* [n][n_points] nu F_nu at the points' frequencies, as bml_cuda_ssc_solve leaves it */
    const float *log10_model; /* [n][n_points] its log10, as a surrogate gives it: where model is NULL */
    const bml_cuda_point *points; /* [n_points] */
    const double *ln_f;           /* [n] log of the systematic scatter [dex]; NULL = none */
    int n;
    int n_points;
} bml_cuda_likelihoods;
/* ln likelihoods of many models of one SED, as bml_ssc_log_likelihood; all pointers on the device. BAD_ARGUMENT,
   RUNTIME. */
BML_CUDA_DEF int bml_cuda_log_likelihood(const bml_cuda_likelihoods *likelihoods, bml_cuda_stream stream,
                                         bml_cuda *cuda);
BML_CUDA_DEF int bml_cuda_log_likelihood_host(const bml_cuda_likelihoods *likelihoods,
                                              bml_cuda *cuda); /* with host pointers */

/* ---- networks ---- */
enum { BML_CUDA_F16 = 0, BML_CUDA_BF16, BML_CUDA_F32, BML_CUDA_TF32, BML_CUDA_N_PRECISIONS };
typedef struct bml_cuda_net bml_cuda_net;
typedef struct bml_cuda_net_config {
    int precision; /* F16, BF16, TF32 (tensor cores, float sums), F32 (no tensor cores; slow, for checks) */
    int rows;      /* rows of a block: 16 (small batches, wide layers) or 64; 0 = what suits the batch and fits */
} bml_cuda_net_config;
/* From a file of bml_nn_save, or its bytes (bml_nn_encode). Layers: all of bml_nn.h but convolution and pooling;
   dropout does nothing, Bayesian layers are at their mean. config NULL: all defaults. *net is NULL after an error.
   BAD_MODEL, BAD_ARGUMENT (BF16, TF32 before compute capability 8.0), TOO_LARGE, NO_MEMORY, NO_DEVICE, RUNTIME. */
BML_CUDA_DEF int bml_cuda_net_load(bml_cuda_net **net, const char *path, const bml_cuda_net_config *config,
                                   bml_cuda *cuda);
typedef struct bml_cuda_bytes {
    const unsigned char *bytes;
    size_t size;
} bml_cuda_bytes;
BML_CUDA_DEF int bml_cuda_net_decode(bml_cuda_net **net, const bml_cuda_bytes *model, const bml_cuda_net_config *config,
                                     bml_cuda *cuda);
BML_CUDA_DEF void bml_cuda_net_free(bml_cuda_net *net);
BML_CUDA_DEF size_t bml_cuda_net_n_in(const bml_cuda_net *net);
BML_CUDA_DEF size_t bml_cuda_net_n_out(const bml_cuda_net *net);
/* y[n][n_out] of x[n][n_in], rows as in bml_nn.h, scaled as the model says; device pointers. BAD_ARGUMENT, RUNTIME. */
BML_CUDA_DEF int bml_cuda_net_predict(float *y, const float *x, size_t n, bml_cuda_stream stream, bml_cuda_net *net);
BML_CUDA_DEF int bml_cuda_net_predict_host(float *y, const float *x, size_t n, bml_cuda_net *net);

/* ---- training (not with BML_CUDA_NO_TRAINING) ---- */
#ifndef BML_CUDA_NO_TRAINING
struct bml_nn_training; /* of the bml_nn.h that this file was compiled with, without BML_NN_DOUBLE */
struct bml_nn_epoch;
typedef struct bml_cuda_training {
    bml_cuda_bytes model;              /* of bml_nn_encode, BML_NN_F32: layers, scalers, first weights */
    const struct bml_nn_training *how; /* as bml_nn_train takes it: host pointers */
    int tf32;                          /* 1: products on tensor cores, of numbers rounded to 11 bits; 0: float */
} bml_cuda_training;
/* Trains as bml_nn_train does, on the device: the same batches, dropout, losses, optimisers, validation, best weights,
   callback. Layers: all but batch norm, layer norm and Bayesian. weights[bml_nn_n_params], as of bml_nn_params; *last,
   unless NULL, the last epoch. A loss of your own, and class weights, cost two copies and a wait a batch: the loss runs
   on the host. After NAN and CANCELLED the weights are good ones. BAD_MODEL, BAD_ARGUMENT (also data that bml_nn_train
   refuses; tf32 before compute capability 8.0), TOO_LARGE, NO_MEMORY, NO_DEVICE, RUNTIME. */
BML_CUDA_DEF int bml_cuda_train_host(float *weights, struct bml_nn_epoch *last, const bml_cuda_training *training,
                                     bml_cuda *cuda);

/* The same, batch by batch, on data that are on the device. Of *how are taken: loss, optimizer, learning_rate,
   momentum, weight_decay, l2, clip, batch and batches (the most rows), seed (dropout); it is copied. *trainer is NULL
   after an error; errors as above. */
typedef struct bml_cuda_trainer bml_cuda_trainer;
BML_CUDA_DEF int bml_cuda_trainer_create(bml_cuda_trainer **trainer, const bml_cuda_training *training, bml_cuda *cuda);
BML_CUDA_DEF void bml_cuda_trainer_free(bml_cuda_trainer *trainer);
typedef struct bml_cuda_batch {
    const float *x;        /* device [..][n_in], in your units */
    const float *y;        /* device [..][n_out], likewise */
    const float *weights;  /* device [..], >= 0; NULL = all 1 */
    const uint32_t *index; /* device [n] which rows of these; NULL = the first n */
    int n;                 /* 1 ... how->batch */
    double rate;           /* learning rate; 0 = how->learning_rate */
} bml_cuda_batch;
/* One update of the weights; only the loss. Both queue, and do not wait; NaN in the data makes a loss that is not
   finite, after which nothing is updated any more. BAD_ARGUMENT (also losses that run on the host), RUNTIME. */
BML_CUDA_DEF int bml_cuda_trainer_step(const bml_cuda_batch *batch, bml_cuda_stream stream, bml_cuda_trainer *trainer);
BML_CUDA_DEF int bml_cuda_trainer_judge(const bml_cuda_batch *batch, bml_cuda_stream stream, bml_cuda_trainer *trainer);
typedef struct bml_cuda_progress {
    double loss;          /* mean over rows since it was last asked for */
    double gradient_norm; /* mean over batches since then, unclipped */
    double accuracy;      /* share of right classes; NaN unless a cross-entropy */
} bml_cuda_progress;
/* These three wait for the stream. weights: host [n_weights], as of bml_nn_params. set also forgets a failure; the
   optimiser's moments stay. NAN, BAD_ARGUMENT, RUNTIME. */
BML_CUDA_DEF int bml_cuda_trainer_progress(bml_cuda_progress *progress, bml_cuda_stream stream,
                                           bml_cuda_trainer *trainer);
BML_CUDA_DEF int bml_cuda_trainer_get(float *weights, bml_cuda_stream stream, bml_cuda_trainer *trainer);
BML_CUDA_DEF int bml_cuda_trainer_set(const float *weights, bml_cuda_stream stream, bml_cuda_trainer *trainer);
BML_CUDA_DEF size_t bml_cuda_trainer_n_weights(const bml_cuda_trainer *trainer);
#endif
#endif /* BML_CUDA_H */
/* ---- end of API ---- */

#if defined(BML_CUDA_IMPLEMENTATION) && !defined(BML_CUDA_IMPLEMENTED)
#define BML_CUDA_IMPLEMENTED
/* Contents: search for ">> name".
   >> status, device, memory           messages, buffers, launches
   >> instructions                     what the compiler has no operator for
   >> Compton: closed forms            in double, for the ends of spectra
   >> Compton: one photon in float     the arithmetic of bml_sample.h
   >> Compton: the published net       on tensor cores
   >> Compton: kernels
   >> Compton: the host's side
   >> SSC: tables and a source's state
   >> SSC: the source
   >> SSC: a time step
   >> SSC: what comes out
   >> SSC: the host's side
   >> likelihoods
   >> networks: the plan
   >> networks: the kernel
   >> networks: the host's side
   >> training: kernels
   >> training: one step               of a recurrent cell, forward and back
   >> training: loss, norm, update
   >> training: layers
   >> training: the host's side
   >> training: a whole course         as bml_nn_train gives it */
#if defined(__HIPCC__) || defined(__HIP__)
#error "bml_cuda.cu: for nvcc, not for HIP: call the inline functions of bml_sample.h in kernels of your own"
#elif !defined(__CUDACC__) && !defined(BML_CUDA_ON_HOST)
#error "bml_cuda.cu: compile the one file with BML_CUDA_IMPLEMENTATION by nvcc"
#endif
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h> /* vsnprintf into message buffers; nothing is printed */
#include <stdlib.h>
#include <string.h>

#if defined(__CUDACC__)
#pragma nv_diagnostic push /* the headers are checked by other compilers; this one does not know all their pragmas */
#pragma nv_diag_suppress 550, 1675, 177, 186
#endif
#ifndef BML_SAMPLE_IMPLEMENTATION
#ifndef BML_SAMPLE_H
#undef BML_SAMPLE_IMPLEMENTED /* those that are linked do not show their insides */
#define BML_SAMPLE_STATIC
#endif
#define BML_SAMPLE_IMPLEMENTATION
#endif
#include "bml_sample.h"
#ifndef BML_SSC_IMPLEMENTATION
#ifndef BML_SSC_H
#undef BML_SSC_IMPLEMENTED
#define BML_SSC_STATIC
#endif
#define BML_SSC_IMPLEMENTATION
#endif
#include "bml_ssc.h"
/* As in bml_ssc.h, whose own are not for others. */
#define BML_CUDA__PI 3.14159265358979323846
#define BML_CUDA__LN10 2.30258509299404568402
#define BML_CUDA__LN2 0.69314718055994530942
#define BML_CUDA__LN4 1.38629436111989061883
#define BML_CUDA__C 2.99792458e10
#define BML_CUDA__H 6.62607015e-27
#define BML_CUDA__MC2 8.1871057769e-7
#define BML_CUDA__SIGMA_T 6.6524587321e-25
#define BML_CUDA__B_CRIT 4.41400519e13
#define BML_CUDA__LAMBDA_C 2.42631023867e-10
#define BML_CUDA__FINE 32 /* sub-steps of h in the tables */
#define BML_CUDA__MIN(a, b) ((a) < (b) ? (a) : (b))
#define BML_CUDA__MAX(a, b) ((a) > (b) ? (a) : (b))
#ifndef BML_NN_IMPLEMENTATION
#ifndef BML_NN_H
#undef BML_NN_IMPLEMENTED
#define BML_NN_STATIC
#ifdef BML_CUDA_NO_TRAINING
#define BML_NN_NO_TRAINING
#endif
#endif
#define BML_NN_IMPLEMENTATION
#endif
#include "bml_nn.h"
#if defined(__CUDACC__)
#pragma nv_diagnostic pop
#endif

#ifdef BML_CUDA_ON_HOST
#include BML_CUDA_ON_HOST
#define BML_CUDA__UNROLL
#define BML_CUDA__ROLLED
#else
#include <cuda_runtime.h>
#if defined(BML_CUDA_CUBLASLT) && !defined(BML_CUDA_NO_TRAINING)
#include <cublasLt.h>
#endif
#define BML_CUDA__UNROLL _Pragma("unroll")
#define BML_CUDA__ROLLED _Pragma("unroll 1")
#define BML_CUDA__DYNAMIC(type, name)          \
    extern __shared__ double bml_cuda__room[]; \
    type *name = (type *)(void *)bml_cuda__room
#endif
#define BML_CUDA__NAN ((double)NAN)
/* Not unrolled: a thread seldom has more than two rounds. */
#define BML_CUDA__EACH(k, n) BML_CUDA__ROLLED for (int k = (int)threadIdx.x; k < (n); k += (int)blockDim.x)
#define BML_CUDA__CELLS(k, n)                                                                                          \
    BML_CUDA__ROLLED                                                                                                   \
    for (ptrdiff_t k = (ptrdiff_t)blockIdx.x * blockDim.x + threadIdx.x, k##_step = (ptrdiff_t)gridDim.x * blockDim.x; \
         k < (n); k += k##_step)

/* >> status, device, memory */

#ifndef BML_CUDA__THREADS /* of a block; the test takes fewer, fibers are slow */
#define BML_CUDA__THREADS 256
#endif
enum { BML_CUDA__MESSAGE = 256 };
enum { BML_CUDA__BUFFERS = 8 };
enum { BML_CUDA__WARPS = BML_CUDA__THREADS / 32 };

struct bml_cuda {
    int device;
    int open;
    int multiprocessors;
    int capability;                /* 10 major + minor */
    size_t shared;                 /* bytes of shared memory that one block may have */
    cudaError_t launched;          /* the first launch that failed since bml_cuda__launched was asked */
    void *kept[BML_CUDA__BUFFERS]; /* what calls with host pointers have on the device, for the next of them */
    size_t kept_bytes[BML_CUDA__BUFFERS];
    char name[256];
    char message[BML_CUDA__MESSAGE];
};

BML_CUDA_DEF const char *bml_cuda_strerror(int status) {
#define BML_CUDA__CASE(name, value, text) \
    if (status == value) return text;
    BML_CUDA_STATUS_TABLE(BML_CUDA__CASE)
#undef BML_CUDA__CASE
    return "unknown status";
}

BML_CUDA_DEF const char *bml_cuda_message(const bml_cuda *cuda) {
    return cuda ? cuda->message : "";
}
BML_CUDA_DEF const char *bml_cuda_name(const bml_cuda *cuda) {
    return cuda ? cuda->name : "";
}

/* Writes the message and hands the status through: return bml_cuda__fail(...). */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static int
bml_cuda__fail(bml_cuda *cuda, int status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(cuda->message, BML_CUDA__MESSAGE, format, args);
    va_end(args);
    return status;
}

/* The runtime keeps the last error for whoever asks. One of ours, once it is told, is not told again; another is the
   caller's. */
static void bml_cuda__told(cudaError_t error) {
    if (cudaPeekAtLastError() == error) {
        cudaGetLastError();
    }
}

/* The status of a runtime call: return bml_cuda__check(cuda, cudaThis(...), "this"). */
static int bml_cuda__check(bml_cuda *cuda, cudaError_t error, const char *what) {
    if (error == cudaSuccess) {
        return BML_CUDA_OK;
    }
    bml_cuda__told(error);
    return bml_cuda__fail(cuda, error == cudaErrorMemoryAllocation ? BML_CUDA_NO_MEMORY : BML_CUDA_RUNTIME, "%s: %s",
                          what, cudaGetErrorString(error));
}

/* Makes the device current; every entry point begins with it. */
static int bml_cuda__enter(bml_cuda *cuda) {
    if (!cuda) {
        return BML_CUDA_BAD_ARGUMENT;
    }
    if (!cuda->open) {
        return BML_CUDA_NO_DEVICE;
    }
    cuda->message[0] = 0;
    return bml_cuda__check(cuda, cudaSetDevice(cuda->device), "cudaSetDevice");
}

BML_CUDA_DEF int bml_cuda_create(bml_cuda **out, int device) {
    int n = 0;
    if (!out) {
        return BML_CUDA_BAD_ARGUMENT;
    }
    bml_cuda *cuda;
    *out = cuda = (bml_cuda *)calloc(1, sizeof *cuda);
    if (!cuda) {
        return BML_CUDA_NO_MEMORY;
    }
    cudaError_t error = cudaGetDeviceCount(&n);
    if (error != cudaSuccess || n < 1) {
        bml_cuda__told(error);
        return bml_cuda__fail(cuda, BML_CUDA_NO_DEVICE, "%s",
                              error != cudaSuccess ? cudaGetErrorString(error) : "no device");
    }
    if (device < 0 || device >= n) {
        return bml_cuda__fail(cuda, BML_CUDA_BAD_ARGUMENT, "device %d of %d", device, n);
    }
    cudaDeviceProp properties;
    error = cudaGetDeviceProperties(&properties, device);
    if (error != cudaSuccess) {
        return bml_cuda__check(cuda, error, "cudaGetDeviceProperties");
    }
    if (properties.major * 10 + properties.minor < 75) {
        return bml_cuda__fail(cuda, BML_CUDA_NO_DEVICE, "compute capability %d.%d: 7.5 is the least", properties.major,
                              properties.minor);
    }
    cuda->device = device;
    cuda->multiprocessors = properties.multiProcessorCount;
    cuda->capability = properties.major * 10 + properties.minor;
    cuda->shared = properties.sharedMemPerBlockOptin;
    snprintf(cuda->name, sizeof cuda->name, "%s", properties.name);
    cuda->open = 1;
    return BML_CUDA_OK;
}

BML_CUDA_DEF void bml_cuda_trim(bml_cuda *cuda) {
    for (int i = 0; cuda && i < BML_CUDA__BUFFERS; i++) {
        bml_cuda_release(cuda->kept[i], cuda);
        cuda->kept[i] = NULL;
        cuda->kept_bytes[i] = 0;
    }
}

BML_CUDA_DEF void bml_cuda_free(bml_cuda *cuda) {
    bml_cuda_trim(cuda);
    free(cuda);
}

BML_CUDA_DEF int bml_cuda_alloc(void **device, size_t bytes, bml_cuda *cuda) {
    int status = bml_cuda__enter(cuda);
    if (device) {
        *device = NULL;
    }
    if (!status && !device) {
        status = BML_CUDA_BAD_ARGUMENT;
    }
    if (status) return status;
    if (!bytes) {
        bytes = 1;
    }
    return bml_cuda__check(cuda, cudaMalloc(device, bytes), "cudaMalloc");
}

/* Leaves an earlier message alone: what failed is often cleared away before it is told. */
BML_CUDA_DEF int bml_cuda_release(void *device, bml_cuda *cuda) {
    if (!device) {
        return BML_CUDA_OK;
    }
    if (!cuda) {
        return BML_CUDA_BAD_ARGUMENT;
    }
    if (!cuda->open) {
        return BML_CUDA_NO_DEVICE;
    }
    cudaSetDevice(cuda->device);
    return bml_cuda__check(cuda, cudaFree(device), "cudaFree");
}

static int bml_cuda__move(const bml_cuda_copy *copy, int to_device, bml_cuda_stream stream, bml_cuda *cuda) {
    int status = bml_cuda__enter(cuda);
    if (!status && (!copy || (copy->bytes && (!copy->to || !copy->from)))) {
        status = BML_CUDA_BAD_ARGUMENT;
    }
    if (status || !copy->bytes) return status;
    return bml_cuda__check(cuda,
                           cudaMemcpyAsync(copy->to, copy->from, copy->bytes,
                                           to_device ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost,
                                           (cudaStream_t)stream),
                           "cudaMemcpyAsync");
}
BML_CUDA_DEF int bml_cuda_put(const bml_cuda_copy *copy, bml_cuda_stream stream, bml_cuda *cuda) {
    return bml_cuda__move(copy, 1, stream, cuda);
}
BML_CUDA_DEF int bml_cuda_get(const bml_cuda_copy *copy, bml_cuda_stream stream, bml_cuda *cuda) {
    return bml_cuda__move(copy, 0, stream, cuda);
}
BML_CUDA_DEF int bml_cuda_wait(bml_cuda_stream stream, bml_cuda *cuda) {
    int status = bml_cuda__enter(cuda);
    return status ? status
                  : bml_cuda__check(cuda, cudaStreamSynchronize((cudaStream_t)stream), "cudaStreamSynchronize");
}

/* Buffers made one after another, freed together; or, where `keep` is set, lent from those that the device's object
   keeps from call to call. After a failure, calls do nothing and `status` stays. */
typedef struct bml_cuda__buffers {
    bml_cuda *cuda;
    void *made[BML_CUDA__BUFFERS];
    int n;
    int status;
    int keep;
} bml_cuda__buffers;

static bml_cuda__buffers bml_cuda__kept_buffers(bml_cuda *cuda) {
    bml_cuda__buffers b;
    memset(&b, 0, sizeof b);
    b.cuda = cuda;
    b.keep = 1;
    return b;
}

static size_t bml_cuda__bytes(ptrdiff_t count, size_t size) {
    return (size_t)count * size;
}

/* Kept buffer number i, made larger where it is too small; the call before has waited for all that used it. */
static int bml_cuda__lend(void **p, int i, size_t bytes, bml_cuda *cuda) {
    int status = bml_cuda__enter(cuda);
    if (status) return status;
    if (bytes > cuda->kept_bytes[i]) {
        bml_cuda_release(cuda->kept[i], cuda);
        cuda->kept[i] = NULL;
        cuda->kept_bytes[i] = 0;
    }
    if (!cuda->kept[i]) {
        status = bml_cuda_alloc(&cuda->kept[i], bytes, cuda);
        cuda->kept_bytes[i] = status ? 0 : bytes;
    }
    *p = cuda->kept[i];
    return status;
}

/* count things of `size` bytes on the device, a copy of `from` unless NULL. NULL after an error. */
static void *bml_cuda__buffer(bml_cuda__buffers *b, const void *from, ptrdiff_t count, size_t size) {
    void *p = NULL;
    if (b->status) {
        return NULL;
    }
    if (size && (size_t)count > SIZE_MAX / size) {
        b->status = BML_CUDA_TOO_LARGE;
        return NULL;
    }
    size_t bytes = bml_cuda__bytes(count, size);
    b->status = b->keep ? bml_cuda__lend(&p, b->n, bytes, b->cuda) : bml_cuda_alloc(&p, bytes, b->cuda);
    if (b->status) {
        return NULL;
    }
    b->made[b->n] = p;
    b->n++;
    bml_cuda_copy copy;
    copy.to = p;
    copy.from = from;
    copy.bytes = bytes;
    if (from) {
        b->status = bml_cuda_put(&copy, NULL, b->cuda);
    }
    return p;
}

/* Copies back, and waits. */
static void bml_cuda__fetch(bml_cuda__buffers *b, void *to, const void *from, size_t bytes) {
    bml_cuda_copy copy;
    copy.to = to;
    copy.from = from;
    copy.bytes = bytes;
    if (!b->status) {
        b->status = bml_cuda_get(&copy, NULL, b->cuda);
    }
    if (!b->status) {
        b->status = bml_cuda_wait(NULL, b->cuda);
    }
}

static int bml_cuda__done(bml_cuda__buffers *b) {
    for (; b->n > 0; b->n--) {
        if (!b->keep) {
            bml_cuda_release(b->made[b->n - 1], b->cuda);
        }
    }
    return b->status;
}

/* Device copy of host memory that lives as long as an object; the status. */
static int bml_cuda__upload(void **device, const void *from, size_t bytes, bml_cuda *cuda) {
    bml_cuda_copy copy;
    int status = bml_cuda_alloc(device, bytes, cuda);
    copy.to = *device;
    copy.from = from;
    copy.bytes = bytes;
    if (!status) {
        status = bml_cuda_put(&copy, NULL, cuda);
    }
    return status ? status : bml_cuda_wait(NULL, cuda); /* `from` may go */
}

/* Launches blocks of BML_CUDA__THREADS, through the call that returns the launch's own error, and keeps the first. */
template <typename... Wanted, typename... Given>
static void bml_cuda__launch(bml_cuda *cuda, unsigned grid, size_t shared, bml_cuda_stream stream,
                             void (*kernel)(Wanted...), const Given &...given) {
    cudaLaunchConfig_t config;
    memset((void *)&config, 0, sizeof config);
    config.gridDim = dim3(grid, 1, 1);
    config.blockDim = dim3(BML_CUDA__THREADS, 1, 1);
    config.dynamicSmemBytes = shared;
    config.stream = (cudaStream_t)stream;
    cudaError_t error = cudaLaunchKernelEx(&config, kernel, Wanted(given)...);
    if (cuda->launched == cudaSuccess) {
        cuda->launched = error;
    }
}

static int bml_cuda__launched(bml_cuda *cuda, const char *what) {
    cudaError_t error = cuda->launched;
    cuda->launched = cudaSuccess;
    return bml_cuda__check(cuda, error, what);
}

/* Lets a kernel have all the shared memory that the card gives a block. The limit belongs to the kernel, not to an
   object: with what one object needs, another's launch would fail. */
template <typename Kernel> static int bml_cuda__allow_shared(bml_cuda *cuda, Kernel kernel) {
    cudaFuncAttributes own;
    int status = bml_cuda__check(cuda, cudaFuncGetAttributes(&own, kernel), "cudaFuncGetAttributes");
    if (status) return status;
    int most = (int)(cuda->shared - own.sharedSizeBytes);
    cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most);
    return bml_cuda__check(cuda, error, "shared memory");
}

/* How many blocks fill the device, for loops that take their work in turns; at most `wanted`. */
template <typename Kernel>
static unsigned bml_cuda__grid(const bml_cuda *cuda, Kernel kernel, size_t shared, uint64_t wanted) {
    int each = 0;
    if (cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, kernel, BML_CUDA__THREADS, shared) != cudaSuccess ||
        each < 1) {
        each = 1;
    }
    uint64_t all = (uint64_t)each * (uint64_t)cuda->multiprocessors;
    return (unsigned)(wanted < all ? wanted : all);
}

/* >> instructions: what the compiler has no operator for, with the same thing in C beside it */

static __device__ __forceinline__ float bml_cuda__reciprocal(float x) {
#ifdef __CUDA_ARCH__
    return __fdividef(1.0f, x); /* 1 ulp */
#else
    return 1 / x;
#endif
}

static __device__ __forceinline__ float bml_cuda__sqrt(float x) {
#ifdef __CUDA_ARCH__
    float y;
    asm("sqrt.approx.f32 %0, %1;" : "=f"(y) : "f"(x)); /* 1 ulp */
    return y;
#else
    return sqrtf(x);
#endif
}

/* One instruction each, numbers below 2^-126 being 0: the root to 1 ulp, log2 to 2^-22 absolutely near 1 and relatively
   elsewhere, 2^x to 2 ulp, 1/x to 1 ulp. */
static __device__ __forceinline__ float bml_cuda__fast_sqrt(float x) {
#ifdef __CUDA_ARCH__
    float y;
    asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return sqrtf(x);
#endif
}

static __device__ __forceinline__ float bml_cuda__fast_log2(float x) {
#ifdef __CUDA_ARCH__
    float y;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return log2f(x);
#endif
}

static __device__ __forceinline__ float bml_cuda__fast_exp2(float x) {
#ifdef __CUDA_ARCH__
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return exp2f(x);
#endif
}

static __device__ __forceinline__ float bml_cuda__fast_reciprocal(float x) {
#ifdef __CUDA_ARCH__
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return 1 / x;
#endif
}

/* The bits of x + 2^20 rounded down, 0 <= x < 2^19: x in eighths stands in the lower ones. No conversion, which is as
   slow as eight other instructions. */
static __device__ __forceinline__ uint32_t bml_cuda__eighths(float x) {
#ifdef __CUDA_ARCH__
    return __float_as_uint(__fadd_rz(x, 1048576.0f));
#else
    return 0x49800000u + (uint32_t)(8 * x);
#endif
}

/* p, known to point to the device's memory: for functions that are called, and not laid out in the kernel. Layers are:
   what a compiler does with a kernel takes longer than in proportion to its size. */
template <typename P> static __device__ __forceinline__ P *bml_cuda__global(P *p) {
#ifdef __CUDA_ARCH__
    __builtin_assume(__isGlobal(p));
#endif
    return p;
}

/* Two floats as 16-bit numbers, the first in the lower half; format 0: half, 1: bfloat16. */
static __host__ __device__ __forceinline__ uint32_t bml_cuda__pack(float low, float high, int bf16) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    uint32_t p;
    if (bf16) {
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(p) : "f"(high), "f"(low));
    } else {
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(p) : "f"(high), "f"(low));
    }
    return p;
#elif defined(__CUDA_ARCH__)
    unsigned short l;
    unsigned short h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(l) : "f"(low));
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(high));
    return (uint32_t)h << 16 | l;
#else
    return bml_nn__narrow(high, bf16 ? BML_NN_BF16 : BML_NN_F16) << 16 |
           bml_nn__narrow(low, bf16 ? BML_NN_BF16 : BML_NN_F16);
#endif
}

static __host__ __device__ __forceinline__ float bml_cuda__from_half(uint32_t h) { /* of the lower 16 bits */
#ifdef __CUDA_ARCH__
    float f;
    asm("{.reg .b16 x; cvt.u16.u32 x, %1; cvt.f32.f16 %0, x;}" : "=f"(f) : "r"(h));
    return f;
#else
    return bml_nn__widen(h & 0xFFFFu, BML_NN_F16);
#endif
}

/* tanh of both halves; the hardware's is right to 2^-10.987 (PTX manual), as good as half precision can show. */
static __device__ __forceinline__ uint32_t bml_cuda__tanh_pair(float low, float high) {
#ifdef __CUDA_ARCH__
    uint32_t x = bml_cuda__pack(low, high, 0);
    uint32_t y;
    asm("tanh.approx.f16x2 %0, %1;" : "=r"(y) : "r"(x));
    return y;
#else
    uint32_t x = bml_cuda__pack(low, high, 0);
    return bml_cuda__pack(tanhf(bml_cuda__from_half(x)), tanhf(bml_cuda__from_half(x >> 16)), 0);
#endif
}

/* c[4] += a b, the warp together: a 16 x 16, b 16 x 8, c 16 x 8 in float. Lane 4 g + t holds of a rows g and g + 8,
   columns 2t, 2t+1 (a[0], a[1]) and 2t+8, 2t+9 (a[2], a[3]); of b rows 2t, 2t+1 and 2t+8, 2t+9 of column g; of c rows
   g (c[0], c[1]) and g + 8, columns 2t, 2t+1: c of one layer, packed, is a of the next. */
static __device__ __forceinline__ void bml_cuda__mma(float *c, const uint32_t *a, const uint32_t *b, int bf16) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    if (bf16) {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                     "{%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    } else {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                     "{%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    }
#elif defined(__CUDA_ARCH__) /* 7.5 has the half as deep one, and no bfloat16 */
    (void)bf16;
    for (int k = 0; k < 2; k++)
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[2 * k]), "r"(a[2 * k + 1]), "r"(b[k]));
#elif defined(BML_CUDA_ON_HOST)
    cuda_host_mma(c, a, b, bf16);
#else
    {
        (void)c;
        (void)a;
        (void)b;
        (void)bf16;
    }
#endif
}

/* The nearest number with 10 bits behind the point (tf32), ties away from zero, as the hardware rounds. */
static __host__ __device__ __forceinline__ float bml_cuda__to_tf32(float x) {
    uint32_t bits;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
#else
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7F800000u) != 0x7F800000u) {
        bits = (bits + 0x1000u) & 0xFFFFE000u;
    }
#endif
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* c[4] += a b in tf32: a 16 x 8, b 8 x 8. Lane 4 g + t holds of a rows g and g + 8 of column t (a[0], a[1]) and of
   t + 4 (a[2], a[3]); of b rows t and t + 4 of column g; of c what it holds above. */
static __device__ __forceinline__ void bml_cuda__mma_tf32(float *c, const uint32_t *a, const uint32_t *b) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#elif defined(BML_CUDA_ON_HOST)
    cuda_host_mma_tf32(c, a, b);
#else
    {
        (void)c;
        (void)a;
        (void)b;
    } /* 7.5 has no tf32 */
#endif
}

/* >> Compton: closed forms in double
   For the few photons of whose spectrum only an end lies above eps0: as the section "Compton: closed forms" of
   bml_sample.h, where the formulas are explained. */

typedef struct bml_cuda__edge {
    double b;
    double ln_b;
    double L;
    double total;
    double u_min;
    double l_min;
    double left;
    int end;
} bml_cuda__edge;

static __device__ double bml_cuda__dilog(double l) { /* -Li2(1 - e^l) - l, l <= ln 2 */
    double s = l * l;
    double p = -1.9939295860721076e-14;
    p = p * s + 8.9216910204564526e-13;
    p = p * s - 4.0647616451442255e-11;
    p = p * s + 1.0 / 526901760;
    p = p * s - 1.0 / 10886400;
    p = p * s + 1.0 / 211680;
    p = p * s - 1.0 / 3600;
    p = p * s + 1.0 / 36;
    return s * (0.25 + l * p);
}

/* int f dE from 0 to l; *f = f(q) there. */
static __device__ double bml_cuda__G(double *f, double l, double b, double ln_b) {
    double z = expm1(l);
    double E = z / (1 + z);
    double q = z / b < 1 ? z / b : 1;
    double ln_q = log(q);
    double E2 = E * E;
    double A2;
    double M3;
    double M4;
    if (E < 0.25) {
        double a3 = 0;
        double m3 = 0;
        double m4 = 0;
        for (int n = 28; n >= 4; n--) { /* A_k = sum of E^n/n, M_k of (1 - (k-1)/n) E^n, n >= k */
            double r = 1.0 / n;
            a3 = a3 * E + r;
            m3 = m3 * E + (1 - 2 * r);
            m4 = m4 * E + (1 - 3 * r);
        }
        A2 = E2 * (0.5 + E * (1.0 / 3 + E * a3));
        M3 = E2 * E * (1.0 / 3 + E * m3);
        M4 = E2 * E2 * m4;
    } else {
        A2 = l - E;
        M3 = z - 2 * l + E;
        M4 = z - 3 * l + 2 * E + 0.5 * E2;
    }
    double D;
    if (z <= 1) {
        D = bml_cuda__dilog(l);
    } else {
        double ln_z = ln_q + ln_b;
        double rest = l - ln_z;
        D = 3.14159265358979323846 * 3.14159265358979323846 / 6 + 0.5 * ln_z * ln_z - (bml_cuda__dilog(rest) + rest) -
            l;
    }
    *f = 2 * q * ln_q + (1 + 2 * q) * (1 - q) + z * z * (1 - q) / (2 * (1 + z));
    return 0.5 * (l + E - 0.5 * E2) + (2 * (ln_q * A2 - D) + A2 - 0.5 * M4) / b - 2 * M3 / b / b;
}

static __device__ double bml_cuda__kernel(double p, double b) { /* f at q = 1 - p */
    double q = 1 - p;
    double z = b * q;
    double ln_q = p < 0.5 ? log1p(-p) : log(q);
    return 2 * q * ln_q + (1 + 2 * q) * p + z * z * p / (2 * (1 + z));
}

/* int f dE from q = 1 - p to 1, 16-point Gauss-Legendre (Abramowitz & Stegun 1964, table 25.4) in p. */
static __device__ double bml_cuda__above(double p, double b) {
    static const double x[8] = {0.0950125098376374402, 0.2816035507792589132, 0.4580167776572273863,
                                0.6178762444026437484, 0.7554044083550030339, 0.8656312023878317439,
                                0.9445750230732325761, 0.9894009349916499326};
    static const double w[8] = {0.1894506104550684963, 0.1826034150449235889, 0.1691565193950025382,
                                0.1495959888165767321, 0.1246289712555338720, 0.0951585116824927848,
                                0.0622535239386478929, 0.0271524594117540949};
    double sum = 0;
    for (int i = 0; i < 16; i++) {
        double at = 0.5 * p * (1 + (i & 1 ? x[i / 2] : -x[i / 2]));
        double one = 1 + b * (1 - at);
        sum += w[i / 2] * bml_cuda__kernel(at, b) * b / (one * one);
    }
    return 0.5 * p * sum;
}

static __device__ bml_cuda__edge bml_cuda__edge_of(double gamma, double eps0) {
    bml_cuda__edge s;
    double room = gamma - eps0;
    double E = eps0 / gamma;
    double p_min = (4 * gamma * room - 1) / (4 * gamma * room);
    s.b = 4 * gamma * eps0;
    s.ln_b = log(s.b);
    s.L = log1p(s.b);
    s.l_min = log1p(eps0 / room);
    double f;
    s.total = bml_cuda__G(&f, s.L, s.b, s.ln_b);
    if (!(p_min > 1e-16)) {
        p_min = 1e-16;
    }
    s.end = p_min < 0.6;
    s.left = s.end ? bml_cuda__above(p_min, s.b) : 0;
    if (s.end) {
        s.u_min = 1 - s.left / s.total;
    } else {
        s.u_min = E < 1e-16 * s.total ? E / s.total : bml_cuda__G(&f, s.l_min, s.b, s.ln_b) / s.total;
    }
    return s;
}

/* The conditional CDF at l, what is above it, and its derivative. */
static __device__ double bml_cuda__conditional(double *above, double *slope, double l, const bml_cuda__edge *s) {
    double z = expm1(l);
    double f;
    if (s->end) {
        double p = (s->b - z) / s->b;
        p = p > 0 ? p : 0;
        *above = bml_cuda__above(p, s->b) / s->left;
        *slope = bml_cuda__kernel(p, s->b) / ((1 + z) * s->left);
        return 1 - *above;
    }
    double c = (bml_cuda__G(&f, l, s->b, s->ln_b) / s->total - s->u_min) / (1 - s->u_min);
    *slope = f / ((1 + z) * s->total * (1 - s->u_min));
    *above = 1 - c;
    return c;
}

/* l at u by bracketed Newton steps, from a first guess. Not inlined: its registers are not for the hot path. */
static __device__ __noinline__ double bml_cuda__invert(double u, double l, double gamma, double eps0) {
    bml_cuda__edge s = bml_cuda__edge_of(gamma, eps0);
    double lo = s.l_min;
    double hi = s.L;
    double least = u < 0.5 ? u : 1 - u;
    if (u <= 0) {
        return lo;
    }
    if (u >= 1) {
        return hi;
    }
    if (!(l > lo && l < hi)) {
        l = 0.5 * (lo + hi);
    }
    for (int i = 0; i < 60; i++) {
        double above;
        double slope;
        double c = bml_cuda__conditional(&above, &slope, l, &s);
        double error = u < 0.5 ? c - u : 1 - u - above;
        double noise = s.end || u < 0.5 ? 0 : 2e-16;
        int last = fabs(error) <= 1e-8 * least;
        if (fabs(error) <= 1e-14 * least + noise) break;
        if (error > 0) {
            hi = l;
        } else {
            lo = l;
        }
        double step;
        if (u < 0.5) {
            step = -error / slope;
        } else {
            step = 2 * sqrt(above) * (sqrt(above > 0 ? above : 0) - sqrt(1 - u)) / slope;
        }
        if (l + step > lo && l + step < hi) {
            l += step;
        } else if (!last) {
            l = 0.5 * (lo + hi);
        }
        if (last || !(hi - lo > 2e-16 * hi)) break;
    }
    return l;
}

/* >> Compton: one photon in float, the arithmetic of bml_sample.h */

static __device__ __forceinline__ float bml_cuda__log10f(float x) {
    return 0.434294482f * bml_sample__logf(x);
}

/* What depends on gamma and eps0 alone. */
typedef struct bml_cuda__pair {
    float gamma;
    float eps0;
    float L;
    float s;
    float low;
    float high;
    float q;
} bml_cuda__pair;

static __device__ __forceinline__ bml_cuda__pair bml_cuda__prepare(float g, float e) {
    bml_sample__pairf p = bml_sample__prepare(g, e);
    bml_cuda__pair pair = {g, e, p.L, p.s, p.low, p.high, p.q};
    return pair;
}

/* N(t, s), the 2-8-8-1 network; two units share a division. w: see bml_sample__weights, kernels [in][out]. */
static __device__ __forceinline__ float bml_cuda__network(const float *w, float t, float s) {
    const float *w2 = w + 24;
    const float *b2 = w2 + 64;
    const float *w3 = b2 + 8;
    float h[8];
    float n = w3[8];
    BML_CUDA__UNROLL
    for (int k = 0; k < 8; k += 2) {
        float A;
        float B;
        float a = bml_sample__tanh_parts(&A, w[16 + k] + w[k] * t + w[8 + k] * s);
        float b = bml_sample__tanh_parts(&B, w[17 + k] + w[k + 1] * t + w[9 + k] * s);
        float one = bml_cuda__reciprocal(A * B);
        h[k] = a * B * one;
        h[k + 1] = b * A * one;
    }
    BML_CUDA__UNROLL
    for (int k = 0; k < 8; k += 2) {
        const float *x = w2 + k;
        const float *y = x + 1;
        float A;
        float x_low = b2[k] + x[0] * h[0] + x[8] * h[1] + x[16] * h[2] + x[24] * h[3];
        float x_high = x[32] * h[4] + x[40] * h[5] + x[48] * h[6] + x[56] * h[7];
        float a = bml_sample__tanh_parts(&A, x_low + x_high);
        float B;
        float y_low = b2[k + 1] + y[0] * h[0] + y[8] * h[1] + y[16] * h[2] + y[24] * h[3];
        float y_high = y[32] * h[4] + y[40] * h[5] + y[48] * h[6] + y[56] * h[7];
        float b = bml_sample__tanh_parts(&B, y_low + y_high);
        float both = w3[k] * a * B + w3[k + 1] * b * A;
        n += both * bml_cuda__reciprocal(A * B);
    }
    return n;
}

#define BML_CUDA__S_MAX 0.887f /* of s in the table, as in bml_sample.h */

static __device__ __forceinline__ float bml_cuda__lookup(const float *node, float t, float s) {
    float x = bml_cuda__sqrt(t) * (BML_SAMPLE__NT - 1);
    float y = s * ((BML_SAMPLE__NS - 1) / BML_CUDA__S_MAX);
    int j = BML_CUDA__MAX((int)x, 0);
    int k = BML_CUDA__MAX((int)y, 0);
    j = BML_CUDA__MIN(j, BML_SAMPLE__NT - 2);
    k = BML_CUDA__MIN(k, BML_SAMPLE__NS - 2);
    const float *at = node + k * BML_SAMPLE__NT + j;
    x -= (float)j;
    y -= (float)k;
    float below = at[0] + x * (at[1] - at[0]);
    float above = at[BML_SAMPLE__NT] + x * (at[BML_SAMPLE__NT + 1] - at[BML_SAMPLE__NT]);
    return below + y * (above - below);
}

/* >> Compton: the published net on tensor cores
   A warp takes 32 photons at once, as two tiles of 16 rows. Row r of tile k belongs to lane 4 (r mod 8) + 2 k + (r >=
   8), so that of the outputs, which all four lanes of a quad hold, each lane keeps its own photon's. In the first
   layer a variable x is a pair of halves, high + low, and so is its weight w: columns 2v, 2v+1, 2v+8 of the operand
   hold high, low, high, and meet w_high, w_high, w_low; columns 9 and 11 hold 1 and meet both parts of the bias. */

enum { BML_CUDA__FRAGMENTS = 16 }; /* for each lane: 16 packed pairs, */
enum { BML_CUDA__BIASES = 9 };     /* then 9 floats */

/* fragments[25][32] of the weights as bml_cuda_compton_config has them. */
static void bml_cuda__published_fragments(uint32_t *fragments, const float *weights) {
    const float *layer[4] = {weights, weights + 64, weights + 336, weights + 608};
    float high;
    float low;
    float bias;
    for (uint32_t lane = 0; lane < 32; lane++) {
        uint32_t g = lane / 4;
        uint32_t t = lane % 4;
        uint32_t *to = fragments + lane;
        for (uint32_t n = 0; n < 2; n++) { /* first layer: column g of the tile is unit 8 n + g */
            uint32_t unit = 8 * n + g;
            float w = t < 3 ? layer[0][3 * unit + t] : 0;
            high = bml_cuda__from_half(bml_cuda__pack(w, 0, 0));
            low = w - high;
            bias = layer[0][48 + unit];
            if (t == 1) {
                bias -= bml_cuda__from_half(bml_cuda__pack(bias, 0, 0));
            }
            to[32 * (2 * n)] = bml_cuda__pack(high, high, 0);
            to[32 * (2 * n + 1)] = bml_cuda__pack(low, t < 2 ? bias : 0, 0);
        }
        for (uint32_t l = 1; l < 3; l++)
            for (uint32_t n = 0; n < 2; n++)
                for (uint32_t k = 0; k < 2; k++) {
                    const float *w = layer[l] + 16 * (8 * n + g) + 8 * k + 2 * t;
                    to[32 * (4 * l + 2 * n + k)] = bml_cuda__pack(w[0], w[1], 0);
                }
        for (uint32_t k = 0; k < 2; k++) /* last layer: all columns alike */
            to[32 * (12 + k)] = bml_cuda__pack(layer[3][8 * k + 2 * t], layer[3][8 * k + 2 * t + 1], 0);
        to[32 * 14] = to[32 * 15] = 0;
        for (uint32_t l = 1; l < 3; l++)
            for (uint32_t n = 0; n < 2; n++)
                for (uint32_t i = 0; i < 2; i++)
                    memcpy(to + 32 * (BML_CUDA__FRAGMENTS + 4 * (l - 1) + 2 * n + i),
                           layer[l] + 256 + 8 * n + 2 * t + i, 4);
        memcpy(to + 32 * (BML_CUDA__FRAGMENTS + 8), layer[3] + 16, 4);
    }
}

static __device__ __forceinline__ uint32_t bml_cuda__pick(const uint32_t *a,
                                                          uint32_t i) { /* without an indexed array */
    uint32_t low = i & 1 ? a[1] : a[0];
    uint32_t high = i & 1 ? a[3] : a[2];
    return i & 2 ? high : low;
}

/* Next operand from the accumulators of a layer's two halves. */
static __device__ __forceinline__ void bml_cuda__activate(uint32_t *a, const float *c) {
    a[0] = bml_cuda__tanh_pair(c[0], c[1]);
    a[1] = bml_cuda__tanh_pair(c[2], c[3]);
    a[2] = bml_cuda__tanh_pair(c[4], c[5]);
    a[3] = bml_cuda__tanh_pair(c[6], c[7]);
}

/* The two outputs (rows g and g + 8) of a tile, from the variables of the lane's column in these rows. */
static __device__ __forceinline__ void bml_cuda__tile(float *out, uint32_t row, uint32_t row8, uint32_t t,
                                                      const uint32_t *b, const float *bias) {
    uint32_t one = t < 2 ? 0x3C000000u : 0;
    uint32_t a[4] = {row, row8, (row & 0xFFFFu) | one, (row8 & 0xFFFFu) | one};
    float c[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    bml_cuda__mma(c, a, b, 0);
    bml_cuda__mma(c + 4, a, b + 2, 0);
    bml_cuda__activate(a, c);
    BML_CUDA__UNROLL
    for (int l = 0; l < 2; l++) {
        c[0] = c[2] = bias[4 * l];
        c[1] = c[3] = bias[4 * l + 1];
        c[4] = c[6] = bias[4 * l + 2];
        c[5] = c[7] = bias[4 * l + 3];
        bml_cuda__mma(c, a, b + 4 + 4 * l, 0);
        bml_cuda__mma(c + 4, a, b + 6 + 4 * l, 0);
        bml_cuda__activate(a, c);
    }
    c[0] = c[1] = c[2] = c[3] = bias[8];
    bml_cuda__mma(c, a, b + 12, 0);
    out[0] = c[0];
    out[1] = c[2];
}

/* The net's output for the lane's own photon; the warp together. b[16], bias[9]: the lane's fragments. */
static __device__ __forceinline__ float bml_cuda__published(float u, float log_gamma, float log_eps0, const uint32_t *b,
                                                            const float *bias) {
    uint32_t t = threadIdx.x % 4;
    uint32_t own[4];
    uint32_t got[4];
    uint32_t row[4];
    float x[3] = {u, log_gamma, log_eps0};
    float out[4];
    BML_CUDA__UNROLL
    for (int v = 0; v < 3; v++) {
        uint32_t high = bml_cuda__pack(x[v], 0, 0);
        own[v] = bml_cuda__pack(x[v], x[v] - bml_cuda__from_half(high), 0);
    }
    own[3] = 0;
    got[0] = bml_cuda__pick(own, t); /* lane t of a quad wants variable t of all its four photons */
    BML_CUDA__UNROLL
    for (uint32_t r = 1; r < 4; r++)
        got[r] = __shfl_xor_sync(0xFFFFFFFFu, bml_cuda__pick(own, t ^ r), (int)r);
    BML_CUDA__UNROLL
    for (uint32_t s = 0; s < 4; s++)
        row[s] = bml_cuda__pick(got, t ^ s);
    bml_cuda__tile(out, row[0], row[1], t, b, bias);
    bml_cuda__tile(out + 2, row[2], row[3], t, b, bias);
    float low = t & 1 ? out[1] : out[0];
    float high = t & 1 ? out[3] : out[2];
    return t & 2 ? high : low;
}

static __device__ __forceinline__ void bml_cuda__take_fragments(uint32_t *b, float *bias, const uint32_t *from) {
    from += threadIdx.x % 32;
    BML_CUDA__UNROLL
    for (int i = 0; i < BML_CUDA__FRAGMENTS; i++)
        b[i] = from[32 * i];
    BML_CUDA__UNROLL
    for (int i = 0; i < BML_CUDA__BIASES; i++)
        memcpy(&bias[i], &from[32 * (BML_CUDA__FRAGMENTS + i)], 4);
}

/* >> Compton: kernels */

typedef struct bml_cuda__draw {
    uint64_t n;              /* photons */
    uint64_t pairs;          /* entries in gamma and eps0 */
    uint64_t pair0;          /* the first entry */
    uint64_t block0;         /* the first block, */
    const uint64_t *counter; /* unless NULL with this added */
    const float *gamma;
    const float *eps0;
    const float *u;
    size_t gamma_stride;
    size_t eps0_stride;
    float same_gamma;
    float same_eps0;
    uint32_t key[2];
    uint32_t stream[2];
    float *energy;
    float *rest;
    uint16_t *half_energy;
    unsigned long long *counts;
    unsigned long long *refused;
    uint32_t *met_edge; /* a launch that meets the end of a spectrum leaves its number there, */
    uint32_t call;      /* which is this */
    int bins;
    float ln_lower;
    float per_bin;
    const float *nodes;
    const uint32_t *fragments;
    float w[105];
} bml_cuda__draw;

static __device__ void bml_cuda__philox(uint32_t *out, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3,
                                        const uint32_t *key) {
    uint32_t k0 = key[0];
    uint32_t k1 = key[1];
    BML_CUDA__UNROLL
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

static __device__ __forceinline__ int bml_cuda__is_good(float g, float e) { /* in the domain */
    int range = (g >= 1.0f) & (g <= 1e11f) & (e >= 0.99999998e-13f) & (e <= 1e2f);
    return range & ((g < bml_sample__kernel_from) | ((g - e) * g > 0.25f));
}

/* gamma and eps0 of a photon; at = its index mod pairs. 0 where out of the domain. */
static __device__ __forceinline__ int bml_cuda__load(float *gamma, float *eps0, const bml_cuda__draw &d, uint64_t at) {
    float g = d.gamma ? d.gamma[at * d.gamma_stride] : d.same_gamma;
    float e = d.eps0 ? d.eps0[at * d.eps0_stride] : d.same_eps0;
    *gamma = g;
    *eps0 = e;
    return bml_cuda__is_good(g, e);
}

/* Energy of a photon by NET or TABLE from u and v = 1 - u. */
template <int METHOD>
static __device__ __forceinline__ float bml_cuda__scatter(float *rest, const bml_cuda__pair &p, float u, float v,
                                                          const bml_cuda__draw &d, const float *node) {
    float r = bml_cuda__sqrt(p.high * v);
    float t = (p.low + p.high * u) * bml_cuda__reciprocal(1 + r);
    float E;
    float n = METHOD == BML_CUDA_TABLE ? bml_cuda__lookup(node, t, p.s) : bml_cuda__network(d.w, t, p.s);
    *rest = bml_sample__expf(&E, fminf(p.L * (t * (1 + r * n)), p.L));
    return fmaxf(p.gamma * E, p.eps0);
}

/* The same in double where only an end of the spectrum is left, from a guess of l in the middle. */
static __device__ float bml_cuda__scatter_exactly(float *rest, const bml_cuda__pair &p, float u, float v) {
    double l = bml_cuda__invert(u < 0.5f ? (double)u : 1 - (double)v, -1, (double)p.gamma, (double)p.eps0);
    *rest = (float)exp(-l);
    return fmaxf((float)(-expm1(-l) * (double)p.gamma), p.eps0);
}

/* Energy from the output of the published net. */
static __device__ __forceinline__ float bml_cuda__unfold(float *rest, float y, float gamma, float eps0) {
    float b = 4 * gamma * eps0;
    float top = gamma * b / (1 + b);
    float below;
    float above = bml_sample__tanh_parts(&below, 5 * fminf(fmaxf(y, -1.0f), 1.0f));
    float eps = (1 + above / below / 0.99990920f) / 2 * (top - eps0) + eps0;
    *rest = 1 - eps / gamma;
    return eps;
}

/* A photon on its way. Chunk by chunk of 256, as bml_sample_comptonf takes them: m photons use (m + 3)/4 blocks, and
   word w of block j is for photon w blocks + j of the chunk. A warp's unit of work is 32 blocks, half of a chunk. */
typedef struct bml_cuda__photon {
    uint64_t i; /* its number */
    float u;
    float v;
    float gamma;
    float eps0;
    int live;
    int good; /* there is one; its numbers are in the domain */
} bml_cuda__photon;

typedef struct bml_cuda__unit {
    uint64_t first;
    uint64_t pair;
    uint32_t m;
    uint32_t blocks;
    uint32_t j;
    uint32_t words[4];
} bml_cuda__unit;

static __device__ __forceinline__ uint64_t bml_cuda__first_block(const bml_cuda__draw &d) {
    return d.counter ? d.block0 + *d.counter : d.block0;
}

static __device__ __forceinline__ void bml_cuda__words_of(uint32_t *words, const bml_cuda__draw &d, uint64_t block) {
    uint32_t high = 0xFFFFFFFFu - (uint32_t)(block >> 32);
    bml_cuda__philox(words, (uint32_t)block, d.stream[0], d.stream[1], high, d.key);
}

static __device__ __forceinline__ bml_cuda__unit bml_cuda__unit_of(const bml_cuda__draw &d, uint64_t unit) {
    bml_cuda__unit c = {unit / 2 * 256, 0, 256, 0, (uint32_t)(unit & 1) * 32 + threadIdx.x % 32, {0, 0, 0, 0}};
    if (d.n - c.first < 256) {
        c.m = (uint32_t)(d.n - c.first);
    }
    c.blocks = (c.m + 3) / 4;
    if (d.gamma || d.eps0) {
        c.pair = (d.pair0 + c.first) % d.pairs;
    }
    if (!d.u && c.j < c.blocks) {
        uint64_t block = bml_cuda__first_block(d) + unit / 2 * 64 + c.j;
        bml_cuda__words_of(c.words, d, block);
    }
    return c;
}

static __device__ __forceinline__ bml_cuda__photon bml_cuda__photon_of(const bml_cuda__draw &d, const bml_cuda__unit &c,
                                                                       uint32_t w) {
    uint32_t offset = w * c.blocks + c.j;
    uint32_t k = bml_cuda__pick(c.words, w) >> 1;
    bml_cuda__photon p = {c.first + offset,
                          ((float)k + 0.5f) * 4.65661287e-10f,
                          ((float)(0x7FFFFFFFu - k) + 0.5f) * 4.65661287e-10f,
                          d.same_gamma,
                          d.same_eps0,
                          0,
                          0};
    p.live = p.good = c.j < c.blocks && offset < c.m;
    if (p.live && d.u) {
        p.u = d.u[p.i];
        p.v = 1 - p.u;
        p.good &= (p.u >= 0) & (p.u <= 1);
    }
    if (p.live && (d.gamma || d.eps0)) {
        uint64_t at = c.pair + offset;
        p.good &= bml_cuda__load(&p.gamma, &p.eps0, d, at < d.pairs ? at : at % d.pairs);
    }
    return p;
}

/* Where a photon's energy goes: to an array, as float or half, or to a bin. */
template <typename Count>
static __device__ __forceinline__ void bml_cuda__give(const bml_cuda__draw &d, Count *count, const bml_cuda__photon &p,
                                                      float eps, float rest) {
    if (!p.good) {
        atomicAdd(d.refused, 1ull);
        eps = rest = (float)BML_CUDA__NAN;
    }
    if (d.rest) {
        d.rest[p.i] = rest;
    }
    if (d.energy) {
        d.energy[p.i] = eps;
    } else if (d.half_energy) {
        float b = 4 * p.gamma * p.eps0;
        d.half_energy[p.i] = (uint16_t)bml_cuda__pack(eps * (1 + b) / (p.gamma * b), 0, 0);
    } else if (p.good) {
        float x = (bml_sample__logf(eps) - d.ln_lower) * d.per_bin;
        int bin = d.bins + 1;
        if (x < 0) {
            bin = 0;
        } else if (x < (float)d.bins) {
            bin = (int)x + 1;
        }
        atomicAdd(count + bin, (Count)1);
    }
}

/* Exact collisions, and photons of whose spectrum only an end is left, should the launch before have met any: apart, so
   that what they need is not held in registers elsewhere. */
static __global__ void __launch_bounds__(BML_CUDA__THREADS)
    bml_cuda__edge_kernel(const __grid_constant__ bml_cuda__draw d) {
    uint64_t units = 2 * ((d.n + 255) / 256);
    uint64_t unit = (uint64_t)blockIdx.x * BML_CUDA__WARPS + threadIdx.x / 32;
    if (*d.met_edge != d.call) return;
    for (; unit < units; unit += (uint64_t)gridDim.x * BML_CUDA__WARPS) {
        bml_cuda__unit c = bml_cuda__unit_of(d, unit);
        BML_CUDA__ROLLED
        for (uint32_t w = 0; w < 4; w++) {
            bml_cuda__photon p = bml_cuda__photon_of(d, c, w);
            bml_cuda__pair pair;
            float rest;
            float eps;
            if (!p.good) continue;
            pair = bml_cuda__prepare(p.gamma, p.eps0);
            if (bml_sample__collidesf(p.gamma, p.eps0, p.u, p.v)) {
                eps = bml_sample__two_bodyf(&rest, p.gamma, p.eps0, p.u, p.v);
            } else if (pair.q <= 0.26f) {
                continue;
            } else {
                eps = bml_cuda__scatter_exactly(&rest, pair, p.u, p.v);
            }
            bml_cuda__give(d, d.counts, p, eps, rest);
        }
    }
}

/* The last of a call: its blocks are used; and the same launch, should a graph repeat it, has met no edge yet. */
static __global__ void __launch_bounds__(BML_CUDA__THREADS)
    bml_cuda__advance_kernel(uint64_t *counter, uint64_t blocks, uint32_t *met_edge) {
    if (threadIdx.x == 0) {
        *counter += blocks;
        *met_edge = 0;
    }
}

/* The block's counts, in 32 bits, go to the device's. */
static __device__ __forceinline__ void bml_cuda__add_counts(const bml_cuda__draw &d, const unsigned *count) {
    __syncthreads();
    BML_CUDA__EACH(i, d.counts ? d.bins + 2 : 0) {
        if (count[i]) {
            atomicAdd(d.counts + i, (unsigned long long)count[i]);
        }
    }
}

/* Shared memory: the table's nodes (TABLE), then the block's counts [bins + 2] (histogram). */
template <int METHOD>
static __global__ void __launch_bounds__(BML_CUDA__THREADS)
    bml_cuda__compton_kernel(const __grid_constant__ bml_cuda__draw d) {
    BML_CUDA__DYNAMIC(float, node);
    const int n_nodes = METHOD == BML_CUDA_TABLE ? BML_SAMPLE__NT * BML_SAMPLE__NS : 0;
    const int one = !d.gamma && !d.eps0;
    unsigned *count = (unsigned *)(node + n_nodes);
    uint32_t b[METHOD == BML_CUDA_PUBLISHED ? BML_CUDA__FRAGMENTS : 1];
    float bias[METHOD == BML_CUDA_PUBLISHED ? BML_CUDA__BIASES : 1];
    float log_gamma = 0;
    float log_eps0 = 0;
    bml_cuda__pair pair = {};
    uint64_t units = 2 * ((d.n + 255) / 256);
    uint64_t unit;
    BML_CUDA__EACH(i, n_nodes) {
        node[i] = d.nodes[i];
    }
    BML_CUDA__EACH(i, d.counts ? d.bins + 2 : 0) {
        count[i] = 0;
    }
    if (METHOD == BML_CUDA_PUBLISHED) {
        bml_cuda__take_fragments(b, bias, d.fragments);
    }
    if (one) {
        pair = bml_cuda__prepare(d.same_gamma, d.same_eps0);
        log_gamma = bml_cuda__log10f(pair.gamma);
        log_eps0 = bml_cuda__log10f(pair.eps0);
    }
    __syncthreads();
    for (unit = (uint64_t)blockIdx.x * BML_CUDA__WARPS + threadIdx.x / 32; unit < units;
         unit += (uint64_t)gridDim.x * BML_CUDA__WARPS) {
        bml_cuda__unit c = bml_cuda__unit_of(d, unit);
        BML_CUDA__ROLLED
        for (uint32_t w = 0; w < 4; w++) {
            bml_cuda__photon p = bml_cuda__photon_of(d, c, w);
            float eps = 0;
            float rest = 0;
            if (METHOD == BML_CUDA_PUBLISHED) {
                if (!one) {
                    log_gamma = bml_cuda__log10f(p.gamma);
                    log_eps0 = bml_cuda__log10f(p.eps0);
                }
                eps = bml_cuda__unfold(&rest, bml_cuda__published(p.u, log_gamma, log_eps0, b, bias), p.gamma, p.eps0);
            } else if (p.good) {
                if (!one) {
                    pair = bml_cuda__prepare(p.gamma, p.eps0);
                }
                if (!(pair.q <= 0.26f) || bml_sample__collidesf(p.gamma, p.eps0, p.u, p.v)) {
                    *d.met_edge = d.call; /* the next kernel's */
                    continue;
                }
                eps = bml_cuda__scatter<METHOD>(&rest, pair, p.u, p.v, d, node);
            }
            if (p.live) {
                bml_cuda__give(d, count, p, eps, rest);
            }
        }
    }
    bml_cuda__add_counts(d, count);
}

/* >> Compton: the table at speed
   The default of large numbers of photons: whole chunks of 256, drawn by Philox, energies or counts wanted and nothing
   else; all other calls go through the kernel above. The same words go to the same photons, but the arithmetic is the
   card's own, so that an energy agrees with the CPU's as well as the table with the kernel, not to rounding:
   t = 1 - r has no relative precision where t is small, and u comes as 24 bits: together 2e-7 of the CDF, where the
   table's own error is 1e-4. Energies of one pair: N(t) at the pair's s is 63 straight lines in 63 sqrt(t), and all
   that is constant is in their coefficients. */

enum { BML_CUDA__LINES = BML_SAMPLE__NT };
typedef struct __align__(8) bml_cuda__line {
    float at_zero;
    float slope;
}
bml_cuda__line;

/* One pair: 1 - u' = high (1 - u), l = T (scale + r line), eps from l. */
typedef struct bml_cuda__ray {
    float gamma;
    float eps0;
    float high;
    float per_word; /* -high/2^32 */
    float scale;    /* L over 63^2, of l or of l/ln 2 */
    int gentle;     /* L is small: 1 - e^-l by its series */
} bml_cuda__ray;

static __device__ __forceinline__ bml_cuda__ray bml_cuda__ray_of(float gamma, float eps0) {
    const float cells = (float)(BML_SAMPLE__NT - 1);
    bml_sample__pairf pair = bml_sample__prepare(gamma, eps0);
    bml_cuda__ray ray;
    ray.gamma = gamma;
    ray.eps0 = eps0;
    ray.high = pair.high * (1 - 3e-7f); /* so that r is below 1 whatever a root's last bit */
    ray.per_word = -ray.high / 4294967296.0f;
    ray.gentle = pair.L < 0.05f;
    ray.scale = pair.L / (cells * cells);
    if (!ray.gentle) {
        ray.scale *= 1.44269504f;
    }
    return ray;
}

/* The lines of a pair's s, between the two rows of the table around it. */
static __device__ __forceinline__ void bml_cuda__lines_of(bml_cuda__line *line, const float *nodes, float s,
                                                          float scale) {
    float y = s * ((float)(BML_SAMPLE__NS - 1) / BML_CUDA__S_MAX);
    int k = BML_CUDA__MIN((int)y, BML_SAMPLE__NS - 2);
    const float *below = nodes + k * BML_SAMPLE__NT;
    const float *above = below + BML_SAMPLE__NT;
    y -= (float)k;
    BML_CUDA__EACH(j, BML_CUDA__LINES) {
        int i = BML_CUDA__MIN(j, BML_CUDA__LINES - 2);
        float from = bml_sample__betweenf(below[i], above[i], y);
        float to = bml_sample__betweenf(below[i + 1], above[i + 1], y);
        line[j].slope = scale * (to - from);
        line[j].at_zero = scale * from - line[j].slope * (float)i;
    }
}

static __device__ __forceinline__ float bml_cuda__ray_energy(const bml_cuda__ray &ray, const bml_cuda__line *lines,
                                                             uint32_t word) {
    const float cells2 = (float)((BML_SAMPLE__NT - 1) * (BML_SAMPLE__NT - 1));
    float r = bml_cuda__fast_sqrt(fmaf((float)word, ray.per_word, ray.high));
    float T = fmaf(r, -cells2, cells2);
    float at = bml_cuda__fast_sqrt(T);
    uint32_t bytes = bml_cuda__eighths(at) & (8 * (BML_CUDA__LINES - 1)); /* a line has 8 bytes */
    bml_cuda__line line = *(const bml_cuda__line *)((const char *)lines + bytes);
    float n = fmaf(line.slope, at, line.at_zero);
    float l = T * fmaf(r, n, ray.scale);
    float eps;
    if (ray.gentle) {
        eps = ray.gamma * l * fmaf(l, fmaf(l, fmaf(l, -1.0f / 24, 1.0f / 6), -0.5f), 1.0f);
    } else {
        eps = fmaf(bml_cuda__fast_exp2(-l), -ray.gamma, ray.gamma);
    }
    return fmaxf(eps, ray.eps0);
}

static __device__ __forceinline__ int bml_cuda__is_far(float g, float e) {
    int good = (g >= 32.0f) & (g <= 1e11f) & (e >= 0.99999998e-13f) & (e <= 1e2f);
    return good & (e * 256 < g);
}

/* A photon of any far pair: gamma >= 32, eps0 < gamma/256, in the domain. u_min = E/G there. */
static __device__ __forceinline__ float bml_cuda__far_energy(float gamma, float eps0, const float *nodes,
                                                             uint32_t word) {
    const float cells2 = (float)((BML_SAMPLE__NT - 1) * (BML_SAMPLE__NT - 1));
    float L = bml_sample__log1pf(4 * gamma * eps0);
    float s = L * bml_cuda__fast_reciprocal(L + 4);
    float above = fmaf(s, fmaf(s, 11.2950671f, -13.4001478f), 0.335458043f); /* bml_sample__per_total */
    above = fmaf(s, fmaf(s, fmaf(s, above, 11.7783149f), -9.84568419f), 2.99994936f);
    float below = fmaf(s, fmaf(s, 3.49805868f, 0.188001027f), -7.06729610f);
    below = fmaf(s, fmaf(s, fmaf(s, below, 7.91021191f), -3.95100920f), 1.0f);
    float low = eps0 * above * bml_cuda__fast_reciprocal(gamma * L * below);
    float high = (1 - 3e-7f) - low;
    float r = bml_cuda__fast_sqrt(fmaf((float)word, high * (-1 / 4294967296.0f), high));
    float T = fmaf(r, -cells2, cells2);
    float x = bml_cuda__fast_sqrt(T);
    float y = s * ((float)(BML_SAMPLE__NS - 1) / BML_CUDA__S_MAX);
    uint32_t j = bml_cuda__eighths(x) >> 3 & 63;
    uint32_t k = bml_cuda__eighths(y) >> 3 & 127;
    const float *node = nodes + (k * BML_SAMPLE__NT + j);
    x -= (float)(int)j;
    y -= (float)(int)k;
    float first = fmaf(x, node[1] - node[0], node[0]);
    float second = fmaf(x, node[BML_SAMPLE__NT + 1] - node[BML_SAMPLE__NT], node[BML_SAMPLE__NT]);
    float n = fmaf(y, second - first, first);
    float l = L * (1 / cells2) * T * fmaf(r, n, 1.0f);
    float series = l * fmaf(l, fmaf(l, fmaf(l, fmaf(l, 1.0f / 120, -1.0f / 24), 1.0f / 6), -0.5f), 1.0f);
    float E = l < 0.125f ? series : 1 - bml_cuda__fast_exp2(-1.44269504f * l);
    return fmaxf(gamma * E, eps0);
}

/* A photon of gamma below 32, or near the end of the spectrum; NaN and counted where it is out of the domain, left to
   the edge's kernel where the table does not hold. Counts are not to have these two: they are negative. Not inlined:
   its registers are not for the others. */
static __device__ __noinline__ float bml_cuda__near_energy(float gamma, float eps0, const float *nodes, uint32_t word,
                                                           const bml_cuda__draw &d) {
    bml_cuda__pair pair;
    float rest;
    float u = ((float)(word >> 1) + 0.5f) * 4.65661287e-10f;
    float v = ((float)(0x7FFFFFFFu - (word >> 1)) + 0.5f) * 4.65661287e-10f;
    if (!bml_cuda__is_good(gamma, eps0)) {
        atomicAdd(d.refused, 1ull);
        return d.counts ? -1 : (float)BML_CUDA__NAN;
    }
    pair = bml_cuda__prepare(gamma, eps0);
    if (!(pair.q <= 0.26f) || bml_sample__collidesf(gamma, eps0, u, v)) {
        *d.met_edge = d.call;
        return -1;
    }
    return bml_cuda__scatter<BML_CUDA_TABLE>(&rest, pair, u, v, d, nodes);
}

/* Into which of the counts an energy goes: 0 below, then the bins, bins + 1 above. */
static __device__ __forceinline__ int bml_cuda__bin_of(float eps, float per_octave, float start, float last) {
    float x = fmaf(bml_cuda__fast_log2(eps), per_octave, start);
    x = fminf(fmaxf(x, 0.0f), last);
    return (int)(bml_cuda__eighths(x) >> 3 & 0xFFFF);
}

/* Whole chunks of one pair. Shared memory, COUNT: the block's counts [bins + 2]. */
template <int COUNT, int GENTLE>
static __global__ void __launch_bounds__(BML_CUDA__THREADS)
    bml_cuda__ray_kernel(const __grid_constant__ bml_cuda__draw d) {
    BML_CUDA__DYNAMIC(unsigned, count);
    __shared__ bml_cuda__line lines[BML_CUDA__LINES];
    bml_cuda__ray ray = bml_cuda__ray_of(d.same_gamma, d.same_eps0);
    ray.gentle = GENTLE;
    float s = bml_sample__prepare(d.same_gamma, d.same_eps0).s;
    bml_cuda__lines_of(lines, d.nodes, s, ray.scale);
    BML_CUDA__EACH(i, COUNT ? d.bins + 2 : 0) {
        count[i] = 0;
    }
    __syncthreads();
    const float per_octave = d.per_bin * 0.693147181f;
    const float start = 1 - d.ln_lower * d.per_bin;
    const float last = (float)(d.bins + 1);
    const uint64_t first = bml_cuda__first_block(d);
    const uint32_t blocks = (uint32_t)(d.n / 4);
    const uint32_t stride = gridDim.x * BML_CUDA__THREADS;
    for (uint32_t j = blockIdx.x * BML_CUDA__THREADS + threadIdx.x; j < blocks; j += stride) {
        uint32_t word[4];
        bml_cuda__words_of(word, d, first + j);
        float *to = COUNT ? NULL : d.energy + (j % 64 + (j & ~63u) * 4);
        BML_CUDA__UNROLL
        for (int w = 0; w < 4; w++) {
            float eps = bml_cuda__ray_energy(ray, lines, word[w]);
            if (COUNT) {
                atomicAdd(count + bml_cuda__bin_of(eps, per_octave, start, last), 1u);
            } else {
                to[64 * w] = eps;
            }
        }
    }
    bml_cuda__add_counts(d, count);
}

/* Whole chunks of arrays, gamma[n] (GAMMA) or one for all, eps0[n] (EPS0) likewise. Shared memory: the table and one
   row of zeros, which the last cell's neighbours are; COUNT: the block's counts [bins + 2]. */
template <int COUNT, int GAMMA, int EPS0>
static __global__ void __launch_bounds__(BML_CUDA__THREADS)
    bml_cuda__far_kernel(const __grid_constant__ bml_cuda__draw d) {
    BML_CUDA__DYNAMIC(float, node);
    const int n_nodes = BML_SAMPLE__NT * BML_SAMPLE__NS;
    unsigned *count = (unsigned *)(node + n_nodes + BML_SAMPLE__NT);
    BML_CUDA__EACH(i, n_nodes + BML_SAMPLE__NT) {
        node[i] = i < n_nodes ? d.nodes[i] : 0;
    }
    BML_CUDA__EACH(i, COUNT ? d.bins + 2 : 0) {
        count[i] = 0;
    }
    __syncthreads();
    const float per_octave = d.per_bin * 0.693147181f;
    const float start = 1 - d.ln_lower * d.per_bin;
    const float last = (float)(d.bins + 1);
    const uint64_t first = bml_cuda__first_block(d);
    const uint32_t blocks = (uint32_t)(d.n / 4);
    const uint32_t stride = gridDim.x * BML_CUDA__THREADS;
    for (uint32_t j = blockIdx.x * BML_CUDA__THREADS + threadIdx.x; j < blocks; j += stride) {
        uint32_t word[4];
        bml_cuda__words_of(word, d, first + j);
        uint32_t at = j % 64 + (j & ~63u) * 4;
        const float *from_gamma = GAMMA ? d.gamma + at : NULL;
        const float *from_eps0 = EPS0 ? d.eps0 + at : NULL;
        float *to = COUNT ? NULL : d.energy + at;
        float gamma[4];
        float eps0[4];
        BML_CUDA__UNROLL
        for (int w = 0; w < 4; w++) {
            gamma[w] = GAMMA ? from_gamma[64 * w] : d.same_gamma;
            eps0[w] = EPS0 ? from_eps0[64 * w] : d.same_eps0;
        }
        BML_CUDA__UNROLL
        for (int w = 0; w < 4; w++) {
            float eps;
            if (bml_cuda__is_far(gamma[w], eps0[w])) {
                eps = bml_cuda__far_energy(gamma[w], eps0[w], node, word[w]);
            } else {
                eps = bml_cuda__near_energy(gamma[w], eps0[w], node, word[w], d);
            }
            if (!COUNT) {
                to[64 * w] = eps;
            } else if (eps >= 0) {
                atomicAdd(count + bml_cuda__bin_of(eps, per_octave, start, last), 1u);
            }
        }
    }
    bml_cuda__add_counts(d, count);
}

/* >> Compton: the host's side */

struct bml_cuda_compton {
    bml_cuda *cuda;
    int method;
    uint32_t calls;
    void *nodes;
    void *fragments;
    void *refused; /* device; refused: a count, then met_edge */
};

static int bml_cuda__compton_tables(bml_cuda_compton *s, const bml_cuda_compton_config *config) {
    unsigned long long zero[2] = {0, 0};
    int status = bml_cuda__upload(&s->refused, zero, sizeof zero, s->cuda);
    if (!status && s->method == BML_CUDA_TABLE) {
        bml_sample_compton_nodes *nodes = (bml_sample_compton_nodes *)calloc(1, sizeof *nodes);
        if (!nodes) {
            return BML_CUDA_NO_MEMORY;
        }
        bml_sample_compton_table(nodes);
        status = bml_cuda__upload(&s->nodes, nodes->n, sizeof nodes->n, s->cuda);
        free(nodes);
    }
    if (!status && s->method == BML_CUDA_PUBLISHED) {
        uint32_t fragments[32 * (BML_CUDA__FRAGMENTS + BML_CUDA__BIASES)];
        for (int i = 0; i < BML_CUDA_PUBLISHED_WEIGHTS; i++) /* within half precision */
            if (!(fabsf(config->weights[i]) <= 65504.0f)) {
                return BML_CUDA_BAD_ARGUMENT;
            }
        bml_cuda__published_fragments(fragments, config->weights);
        status = bml_cuda__upload(&s->fragments, fragments, sizeof fragments, s->cuda);
    }
    return status;
}

BML_CUDA_DEF int bml_cuda_compton_create(bml_cuda_compton **out, const bml_cuda_compton_config *config,
                                         bml_cuda *cuda) {
    int status = bml_cuda__enter(cuda);
    int method = config ? config->method : BML_CUDA_NET;
    if (out) {
        *out = NULL;
    }
    if (status) return status;
    if (!out || method < 0 || method >= BML_CUDA_N_METHODS || (method == BML_CUDA_PUBLISHED && !config->weights))
        return BML_CUDA_BAD_ARGUMENT;
    bml_cuda_compton *s;
    s = (bml_cuda_compton *)calloc(1, sizeof *s);
    if (!s) {
        return BML_CUDA_NO_MEMORY;
    }
    s->cuda = cuda;
    s->method = method;
    status = bml_cuda__compton_tables(s, config);
    if (status) {
        bml_cuda_compton_free(s);
    } else {
        *out = s;
    }
    return status;
}

BML_CUDA_DEF void bml_cuda_compton_free(bml_cuda_compton *s) {
    if (!s) return;
    bml_cuda_release(s->nodes, s->cuda);
    bml_cuda_release(s->fragments, s->cuda);
    bml_cuda_release(s->refused, s->cuda);
    free(s);
}

#ifndef BML_CUDA__LAUNCH_MOST /* photons counted by one launch; a multiple of 256 (the test takes a small one) */
#define BML_CUDA__LAUNCH_MOST ((uint64_t)1 << 30)
#endif

/* What is left after n photons of plain arrays, n a multiple of 256. */
static void bml_cuda__move_on(bml_cuda__draw *d, uint64_t n) {
    d->block0 += n / 4;
    d->gamma = d->gamma ? d->gamma + n : NULL;
    d->eps0 = d->eps0 ? d->eps0 + n : NULL;
    d->energy = d->energy ? d->energy + n : NULL;
}

BML_CUDA_DEF uint64_t bml_cuda_compton_blocks(uint64_t n) {
    return n / 256 * 64 + (n % 256 + 3) / 4;
}

/* The kernel's argument, but for where energies go. */
static int bml_cuda__draw_of(bml_cuda__draw *d, const bml_cuda_photons *p, const bml_cuda_compton *s) {
    memset(d, 0, sizeof *d);
    if (!p->gamma && !p->eps0 && !bml_sample__in_domain((double)p->same_gamma, (double)p->same_eps0))
        return BML_CUDA_OUT_OF_DOMAIN;
    d->n = p->n;
    d->pairs = 1;
    if (p->pairs) {
        d->pairs = p->pairs;
    } else if (p->n) {
        d->pairs = p->n;
    }
    d->block0 = p->skip;
    d->counter = p->counter;
    d->gamma = p->gamma;
    d->eps0 = p->eps0;
    d->u = p->u;
    d->rest = p->rest;
    d->gamma_stride = p->gamma_stride ? p->gamma_stride : 1;
    d->eps0_stride = p->eps0_stride ? p->eps0_stride : 1;
    d->same_gamma = p->same_gamma;
    d->same_eps0 = p->same_eps0;
    d->key[0] = (uint32_t)p->seed;
    d->key[1] = (uint32_t)(p->seed >> 32);
    d->stream[0] = (uint32_t)p->stream;
    d->stream[1] = (uint32_t)(p->stream >> 32);
    d->refused = (unsigned long long *)s->refused;
    d->met_edge = (uint32_t *)(d->refused + 1);
    d->nodes = (const float *)s->nodes;
    d->fragments = (const uint32_t *)s->fragments;
    memcpy(d->w, bml_sample__weights(), sizeof d->w);
    return BML_CUDA_OK;
}

/* What the fast kernels do not do: other outputs, given u, strides, pairs again and again, the ends of spectra. */
static int bml_cuda__is_plain(const bml_cuda__draw &d) {
    int other = d.rest || d.half_energy || d.u || (!d.energy && !d.counts);
    if (other || d.n < 256) {
        return 0;
    }
    if (d.gamma || d.eps0) {
        int in_a_row = d.gamma_stride == 1 && d.eps0_stride == 1 && d.pairs == d.n && !d.pair0;
        return in_a_row;
    }
    bml_sample__pairf pair = bml_sample__prepare(d.same_gamma, d.same_eps0);
    return d.same_gamma >= bml_sample__kernel_from && pair.q <= 0.26f;
}

/* Whole chunks by the fast kernels, launch after launch; returns how many photons that are. */
static uint64_t bml_cuda__launch_plain(const bml_cuda__draw &d, bml_cuda_stream stream, bml_cuda_compton *s) {
    const uint64_t all = d.n / 256 * 256;
    const size_t table = bml_cuda__bytes(BML_SAMPLE__NT * (BML_SAMPLE__NS + 1), sizeof(float));
    const size_t counts = d.counts ? bml_cuda__bytes(d.bins + 2, sizeof(unsigned)) : 0;
    const uint64_t most = BML_CUDA__LAUNCH_MOST;
    const int one = !d.gamma && !d.eps0;
    const int gentle = bml_sample__log1pf(4 * d.same_gamma * d.same_eps0) < 0.05f;
    void (*kernel)(const bml_cuda__draw);
    if (d.gamma && d.eps0) {
        kernel = d.counts ? bml_cuda__far_kernel<1, 1, 1> : bml_cuda__far_kernel<0, 1, 1>;
    } else if (d.gamma) {
        kernel = d.counts ? bml_cuda__far_kernel<1, 1, 0> : bml_cuda__far_kernel<0, 1, 0>;
    } else if (d.eps0) {
        kernel = d.counts ? bml_cuda__far_kernel<1, 0, 1> : bml_cuda__far_kernel<0, 0, 1>;
    } else if (d.counts) {
        kernel = gentle ? bml_cuda__ray_kernel<1, 1> : bml_cuda__ray_kernel<1, 0>;
    } else {
        kernel = gentle ? bml_cuda__ray_kernel<0, 1> : bml_cuda__ray_kernel<0, 0>;
    }
    size_t shared = one ? counts : table + counts;
    unsigned grid = bml_cuda__grid(s->cuda, kernel, shared, (all / 4 + BML_CUDA__THREADS - 1) / BML_CUDA__THREADS);
    bml_cuda__draw part = d;
    for (uint64_t done = 0; done < all; done += most) {
        part.n = all - done < most ? all - done : most;
        part.call = ++s->calls;
        part.pairs = part.n;
        bml_cuda__launch(s->cuda, grid, shared, stream, kernel, part);
        if (!one) {
            bml_cuda__launch(s->cuda, grid, 0, stream, bml_cuda__edge_kernel, part);
        }
        bml_cuda__move_on(&part, part.n);
    }
    return all;
}

template <int METHOD>
static int bml_cuda__launch_compton(const bml_cuda__draw &whole, bml_cuda_stream stream, bml_cuda_compton *s) {
    bml_cuda__draw d = whole;
    if (METHOD == BML_CUDA_TABLE && bml_cuda__is_plain(d)) {
        uint64_t done = bml_cuda__launch_plain(d, stream, s);
        bml_cuda__move_on(&d, done);
        d.n -= done;
        d.pairs = d.n ? d.n : 1;
    }
    size_t shared = 0;
    if (METHOD == BML_CUDA_TABLE) {
        shared += bml_cuda__bytes(BML_SAMPLE__NT * BML_SAMPLE__NS, sizeof(float));
    }
    if (d.counts) {
        shared += bml_cuda__bytes(d.bins + 2, sizeof(unsigned));
    }
    unsigned grid = bml_cuda__grid(s->cuda, bml_cuda__compton_kernel<METHOD>, shared, (d.n + 1023) / 1024);
    bml_cuda__draw part = d;
    const uint64_t most = d.counts ? BML_CUDA__LAUNCH_MOST : d.n; /* a block counts in 32 bits */
    for (uint64_t done = 0; done < d.n; done += most) {
        part.n = d.n - done < most ? d.n - done : most;
        part.call = ++s->calls;
        bml_cuda__launch(s->cuda, grid, shared, stream, bml_cuda__compton_kernel<METHOD>, part);
        if (METHOD != BML_CUDA_PUBLISHED) {
            bml_cuda__launch(s->cuda, grid, 0, stream, bml_cuda__edge_kernel, part);
        }
        part.block0 += most / 4; /* whole chunks, so what follows is as if there were one launch */
        part.pair0 = (part.pair0 + most) % d.pairs;
        if (d.u) {
            part.u += most;
        }
    }
    if (d.counter) {
        uint64_t used = d.u ? 0 : bml_cuda_compton_blocks(whole.n);
        bml_cuda__launch(s->cuda, 1, 0, stream, bml_cuda__advance_kernel, (uint64_t *)d.counter, used, d.met_edge);
    }
    return bml_cuda__launched(s->cuda, "Compton kernel");
}

static int bml_cuda__run_compton(const bml_cuda__draw &d, bml_cuda_stream stream, bml_cuda_compton *s) {
    if (!d.n) {
        return BML_CUDA_OK;
    }
    if (s->method == BML_CUDA_TABLE) {
        return bml_cuda__launch_compton<BML_CUDA_TABLE>(d, stream, s);
    }
    if (s->method == BML_CUDA_PUBLISHED) {
        return bml_cuda__launch_compton<BML_CUDA_PUBLISHED>(d, stream, s);
    }
    return bml_cuda__launch_compton<BML_CUDA_NET>(d, stream, s);
}

BML_CUDA_DEF int bml_cuda_compton_sample(void *energy, const bml_cuda_photons *photons, bml_cuda_stream stream,
                                         bml_cuda_compton *s) {
    int status = s ? bml_cuda__enter(s->cuda) : BML_CUDA_BAD_ARGUMENT;
    if (status) return status;
    if (!energy || !photons || photons->n >= (uint64_t)1 << 40) {
        return BML_CUDA_BAD_ARGUMENT;
    }
    bml_cuda__draw d;
    status = bml_cuda__draw_of(&d, photons, s);
    if (status) return status;
    if (photons->half) {
        d.half_energy = (uint16_t *)energy;
    } else {
        d.energy = (float *)energy;
    }
    return bml_cuda__run_compton(d, stream, s);
}

BML_CUDA_DEF int bml_cuda_compton_histogram(const bml_cuda_bins *bins, const bml_cuda_photons *photons,
                                            bml_cuda_stream stream, bml_cuda_compton *s) {
    int status = s ? bml_cuda__enter(s->cuda) : BML_CUDA_BAD_ARGUMENT;
    if (status) return status;
    if (!bins || !photons || !bins->counts || bins->bins < 1 || bins->bins > BML_CUDA_MAX_BINS || !(bins->lower > 0) ||
        !(bins->upper > bins->lower) || !(bins->upper < 1e38) || photons->rest || photons->half)
        return BML_CUDA_BAD_ARGUMENT;
    bml_cuda__draw d;
    status = bml_cuda__draw_of(&d, photons, s);
    if (status) return status;
    d.counts = (unsigned long long *)bins->counts;
    d.bins = bins->bins;
    d.ln_lower = (float)log(bins->lower);
    d.per_bin = (float)(bins->bins / log(bins->upper / bins->lower));
    return bml_cuda__run_compton(d, stream, s);
}

BML_CUDA_DEF int bml_cuda_compton_refused(uint64_t *count, bml_cuda_stream stream, bml_cuda_compton *s) {
    int status = s ? bml_cuda__enter(s->cuda) : BML_CUDA_BAD_ARGUMENT;
    if (!status && !count) {
        status = BML_CUDA_BAD_ARGUMENT;
    }
    if (status) return status;
    bml_cuda_copy copy;
    copy.to = count;
    copy.from = s->refused;
    copy.bytes = sizeof *count;
    status = bml_cuda_get(&copy, stream, s->cuda);
    if (!status) {
        status =
            bml_cuda__check(s->cuda, cudaMemsetAsync(s->refused, 0, sizeof *count, (cudaStream_t)stream), "memset");
    }
    return status ? status : bml_cuda_wait(stream, s->cuda);
}

/* Device copies of the arrays of *p. */
static void bml_cuda__photons_to_device(bml_cuda_photons *p, bml_cuda__buffers *b) {
    ptrdiff_t n = (ptrdiff_t)p->n;
    ptrdiff_t pairs = (ptrdiff_t)(p->pairs ? p->pairs : p->n);
    if (!n || !pairs) return;
    size_t widest = BML_CUDA__MAX(BML_CUDA__MAX(p->gamma_stride, p->eps0_stride), 1u);
    if ((size_t)pairs > SIZE_MAX / 16 / widest) {
        b->status = BML_CUDA_TOO_LARGE;
        return;
    }
    ptrdiff_t g = p->gamma_stride ? (ptrdiff_t)p->gamma_stride : 1;
    ptrdiff_t e = p->eps0_stride ? (ptrdiff_t)p->eps0_stride : 1;
    if (p->gamma) {
        p->gamma = (const float *)bml_cuda__buffer(b, p->gamma, (pairs - 1) * g + 1, sizeof(float));
    }
    if (p->eps0) {
        p->eps0 = (const float *)bml_cuda__buffer(b, p->eps0, (pairs - 1) * e + 1, sizeof(float));
    }
    if (p->u) {
        p->u = (const float *)bml_cuda__buffer(b, p->u, n, sizeof(float));
    }
    if (p->rest) {
        p->rest = (float *)bml_cuda__buffer(b, NULL, n, sizeof(float));
    }
}

static int bml_cuda__any_refused(bml_cuda__buffers *b, bml_cuda_compton *s) {
    uint64_t refused = 0;
    if (!b->status) {
        b->status = bml_cuda_compton_refused(&refused, NULL, s);
    }
    if (!b->status && refused) {
        b->status = bml_cuda__fail(s->cuda, BML_CUDA_OUT_OF_DOMAIN, "%llu photons", (unsigned long long)refused);
    }
    return b->status;
}

BML_CUDA_DEF int bml_cuda_compton_sample_host(void *energy, const bml_cuda_photons *photons, bml_cuda_compton *s) {
    bml_cuda__buffers b = bml_cuda__kept_buffers(s ? s->cuda : NULL);
    if (!energy || !photons || !s || photons->n > SIZE_MAX / 16) {
        return BML_CUDA_BAD_ARGUMENT;
    }
    bml_cuda_photons p = *photons;
    ptrdiff_t n = (ptrdiff_t)p.n;
    size_t size = p.half ? sizeof(uint16_t) : sizeof(float);
    if (!n) {
        return BML_CUDA_OK;
    }
    uint64_t earlier;
    b.status = bml_cuda_compton_refused(&earlier, NULL, s);
    bml_cuda__photons_to_device(&p, &b);
    void *device = bml_cuda__buffer(&b, NULL, n, size);
    if (!b.status) {
        b.status = bml_cuda_compton_sample(device, &p, NULL, s);
    }
    bml_cuda__fetch(&b, energy, device, bml_cuda__bytes(n, size));
    if (p.rest) {
        bml_cuda__fetch(&b, photons->rest, p.rest, bml_cuda__bytes(n, sizeof(float)));
    }
    int status = bml_cuda__any_refused(&b, s);
    bml_cuda__done(&b);
    return status;
}

BML_CUDA_DEF int bml_cuda_compton_histogram_host(const bml_cuda_bins *bins, const bml_cuda_photons *photons,
                                                 bml_cuda_compton *s) {
    bml_cuda__buffers b = bml_cuda__kept_buffers(s ? s->cuda : NULL);
    if (!bins || !bins->counts || !photons || !s || bins->bins < 1 || bins->bins > BML_CUDA_MAX_BINS)
        return BML_CUDA_BAD_ARGUMENT;
    bml_cuda_photons p = *photons;
    bml_cuda_bins device = *bins;
    size_t bytes = bml_cuda__bytes(bins->bins + 2, sizeof *bins->counts);
    memset(bins->counts, 0, bytes);
    uint64_t earlier;
    b.status = bml_cuda_compton_refused(&earlier, NULL, s);
    bml_cuda__photons_to_device(&p, &b);
    device.counts = (uint64_t *)bml_cuda__buffer(&b, bins->counts, bins->bins + 2, sizeof *bins->counts);
    if (!b.status) {
        b.status = bml_cuda_compton_histogram(&device, &p, NULL, s);
    }
    bml_cuda__fetch(&b, bins->counts, device.counts, bytes);
    int status = bml_cuda__any_refused(&b, s);
    bml_cuda__done(&b);
    return status;
}

/* >> SSC: tables and a source's state
   The algorithm of bml_ssc.h, for which see there, in numbers that fit into float: photons as v = x n, emission
   likewise, electrons' loss as |gamma_dot|/gamma. With E = x1/gamma and G = 4 gamma x, x1/(gamma^2 x) = 4 E/G, so
   that (7) reads
       x1 q_ic(x1) = sum_i (3/4) hx M_i sum_j v_j (4 E/G) f(E, G),
   and (8) |gamma_dot|/gamma = sum_j (3/4) hx v_j (4/G) int f E dE: no huge factors. Where E < 1e-3 and f depends on
   E/G alone, an index t = j + (2/r) i - k, the sum over photons is a function of d = k - (2/r) i: made once for all
   d. */

/* Electrons are counted in units of 2^-60, so that those far beyond an exponential cutoff are still floats. */
#define BML_CUDA__MANY 1152921504606846976.0

/* Called, not laid out: a source needs few of them, in many places. */
static __device__ __noinline__ double bml_cuda__exp(double x) {
    return exp(x);
}
static __device__ __noinline__ double bml_cuda__log(double x) {
    return log(x);
}
static __device__ __noinline__ double bml_cuda__sinh(double x) {
    return sinh(x);
}
static __device__ inline float bml_cuda__expm1(float x) {
    return expm1f(x);
}
static __device__ inline double bml_cuda__expm1(double x) {
    return expm1(x);
}

template <typename T> struct bml_cuda__tables { /* on the device; shapes as in struct bml_ssc */
    double h;
    double time_step;
    double c;
    double syn_lo;
    double loss_lo;
    double gg_lo;
    int athena;
    int r;
    int n_phi;
    int rows;
    int row_pad;
    int cols;
    int g_lo;
    int syn_n;
    int loss_n;
    int gg_n;
    int max_ng;
    int max_nx;
    const T *f;
    const T *syn;
    const T *syn1;
    const T *syn0;
    const T *loss;
    const T *gg;
    const int *span;
};

/* An array of a source's state: in shared memory known by where it begins there, so that the compiler knows which
   memory is meant, elsewhere by a pointer. */
template <typename T, int SHARED> struct bml_cuda__array {
    T *first;
    __host__ __device__ void place(T *base, ptrdiff_t at) {
        first = base + at;
    }
    __device__ T &operator[](int i) const {
        return first[i];
    }
    __device__ bml_cuda__array operator+(int n) const {
        return {first + n};
    }
    __device__ bml_cuda__array<double, 0> doubles() const {
        return {(double *)(void *)first};
    }
};
template <typename T> struct bml_cuda__array<T, 1> {
    int first;
    __host__ __device__ void place(T *, ptrdiff_t at) {
        first = (int)at;
    }
    __device__ T &operator[](int i) const {
        BML_CUDA__DYNAMIC(T, all);
        return all[first + i];
    }
    __device__ bml_cuda__array operator+(int n) const {
        return {first + n};
    }
    __device__ bml_cuda__array<double, 1> doubles() const {
        return {first / (int)(sizeof(double) / sizeof(T))};
    }
};

template <typename T, int SHARED> struct bml_cuda__blob { /* of one block */
    bml_cuda__tables<T> tables;
    bml_cuda_source src; /* defaults resolved */
    int status;
    int ng;
    int nx;
    int e0;
    int g0;
    int syn_lo;
    int thomson_lo;
    int n_thomson;
    double lg0;
    double lx0;
    double phi;
    double b;
    double l_B;
    double absorb;
    double a0;
    double a1;
    double a2;
    double omega;
    double dt;
    double dt_last;
    double t;

    /* electrons [ng] */
    bml_cuda__array<T, SHARED> gamma;
    bml_cuda__array<T, SHARED> over_width;
    bml_cuda__array<T, SHARED> Q;
    bml_cuda__array<T, SHARED> M;
    bml_cuda__array<T, SHARED> M1;
    bml_cuda__array<T, SHARED> M2;
    bml_cuda__array<T, SHARED> S;
    bml_cuda__array<T, SHARED> base;
    bml_cuda__array<T, SHARED> rate;
    bml_cuda__array<T, SHARED> old;
    bml_cuda__array<T, SHARED> flux;
    bml_cuda__array<T, SHARED> slope;
    bml_cuda__array<T, SHARED> work;
    bml_cuda__array<T, SHARED> norm;
    bml_cuda__array<T, SHARED> fit_a;
    bml_cuda__array<T, SHARED> fit_b;
    bml_cuda__array<T, SHARED> face;      /* see bml_cuda__faces */
    bml_cuda__array<T, SHARED> guess;     /* of a step's loss rates, linear in time */
    bml_cuda__array<T, SHARED> wrong;     /* by what it was wrong in the last step */
    bml_cuda__array<T, SHARED> miss;      /* F(g) - g of the fixed point, relative, now */
    bml_cuda__array<T, SHARED> miss_last; /* and a pass before */
    bml_cuda__array<T, SHARED> old_last;  /* F(g) a pass before */

    /* photons [nx] */
    bml_cuda__array<T, SHARED> x;
    bml_cuda__array<T, SHARED> v;
    bml_cuda__array<T, SHARED> target;
    bml_cuda__array<T, SHARED> comp[2];
    bml_cuda__array<T, SHARED> comp1[2];
    bml_cuda__array<T, SHARED> comp2[2];
    bml_cuda__array<T, SHARED> emit;
    bml_cuda__array<T, SHARED> kappa;
    bml_cuda__array<T, SHARED> suffix;
    bml_cuda__array<T, SHARED> ssa;

    /* [r nx + 2 ng + 8] by r k - 2 i - syn_lo */
    bml_cuda__array<T, SHARED> syn;
    bml_cuda__array<T, SHARED> syn1;
    bml_cuda__array<T, SHARED> syn0;

    bml_cuda__array<T, SHARED> thomson; /* [2 nx + 2 ng] by t - thomson_lo */
    bml_cuda__array<T, SHARED> conv;    /* [nx + 2 ng] by k - (2/r) i + 2 ng */
    bml_cuda__array<T, SHARED> loss;    /* [ng + nx] by i + j */
    bml_cuda__array<T, SHARED> gg;      /* [2 nx] by j + k */
    bml_cuda__array<T, SHARED> f;       /* [cols][row_pad] */
    bml_cuda__array<T, SHARED> sums;    /* [ng][row_pad] */
};

/* The block's blob. Pieces of the kernel that do much are called, not laid out in it, as the networks' layers are; what
   a function names itself is known to lie in shared memory. */
template <typename T, int SHARED> static __device__ __forceinline__ bml_cuda__blob<T, SHARED> &bml_cuda__own(void) {
    __shared__ bml_cuda__blob<T, SHARED> b;
    return b;
}

/* Sizes are even: doubles may lie in the room of floats, too. */
static __host__ __device__ inline ptrdiff_t bml_cuda__even(ptrdiff_t n) {
    return n + n % 2;
}

/* Cuts up shared memory, or `base`, for a blob; returns how many numbers it takes. */
template <typename T, int SHARED>
static __host__ __device__ ptrdiff_t bml_cuda__layout(bml_cuda__blob<T, SHARED> *b, T *base,
                                                      const bml_cuda__tables<T> &t) {
    typedef bml_cuda__array<T, SHARED> part;
    ptrdiff_t ng = t.max_ng;
    ptrdiff_t nx = t.max_nx;
    ptrdiff_t pad = t.row_pad;
    ptrdiff_t used = 0;
    part *electrons[] = {
        &b->gamma, &b->over_width, &b->Q,     &b->M,     &b->M1,        &b->M2,       &b->S,     &b->base,
        &b->rate,  &b->old,        &b->flux,  &b->slope, &b->work,      &b->norm,     &b->fit_a, &b->fit_b,
        &b->face,  &b->guess,      &b->wrong, &b->miss,  &b->miss_last, &b->old_last,
    };
    part *photons[] = {
        &b->x,        &b->v,        &b->target, &b->comp[0], &b->comp[1], &b->comp1[0], &b->comp1[1],
        &b->comp2[0], &b->comp2[1], &b->emit,   &b->kappa,   &b->suffix,  &b->ssa,
    };
    part *other[] = {
        &b->syn, &b->syn1, &b->syn0, &b->thomson, &b->conv, &b->loss, &b->gg, &b->f, &b->sums,
    };
    ptrdiff_t lattice = (ptrdiff_t)t.r * nx + 2 * ng + 8;
    ptrdiff_t other_size[] = {
        lattice, lattice, lattice, 2 * nx + 2 * ng, nx + 2 * ng, ng + nx, 2 * nx, t.cols * pad, ng * pad,
    };
    for (ptrdiff_t i = 0; i < (ptrdiff_t)(sizeof electrons / sizeof *electrons); i++) {
        electrons[i]->place(base, used);
        used += bml_cuda__even(ng);
    }
    for (ptrdiff_t i = 0; i < (ptrdiff_t)(sizeof photons / sizeof *photons); i++) {
        photons[i]->place(base, used);
        used += bml_cuda__even(nx);
    }
    for (ptrdiff_t i = 0; i < (ptrdiff_t)(sizeof other / sizeof *other); i++) {
        other[i]->place(base, used);
        used += bml_cuda__even(other_size[i]);
    }
    return used;
}

template <typename T>
static __device__ __noinline__ T bml_cuda__at(const T *table, int n, double lo, double ln_y, double h) {
    const T *value = bml_cuda__global(table);
    double u = (ln_y - lo) * BML_CUDA__FINE / h;
    int i = (int)floor(u);
    if (!(u >= 0) || i >= n - 1) {
        return 0;
    }
    return value[i] + (T)(u - i) * (value[i + 1] - value[i]);
}

/* >> SSC: the source */

static __device__ int bml_cuda__in_range(double *value, double otherwise, double lo, double hi) {
    if (*value == 0) {
        *value = otherwise;
    }
    return *value >= lo && *value <= hi;
}

static __device__ int bml_cuda__resolve(bml_cuda_source *s) { /* as bml_ssc__resolve and bml_ssc__observer */
    int good = s->distance > 0 && s->distance < 1e300;
    good &= bml_cuda__in_range(&s->R, 0, 1e8, 1e22);
    good &= bml_cuda__in_range(&s->B, 0, 1e-8, 1e6);
    good &= bml_cuda__in_range(&s->gamma_min, 0, 1, 1e10);
    good &= bml_cuda__in_range(&s->gamma_max, 0, 1, 1e10);
    good &= bml_cuda__in_range(&s->compactness, 0, 1e-20, 1e3);
    good &= bml_cuda__in_range(&s->p, 0, -10, 10);
    good &= bml_cuda__in_range(&s->t_end, 5, 1e-300, 1e6);
    good &= bml_cuda__in_range(&s->electron_escape, 1, 1e-3, 1e6);
    good &= bml_cuda__in_range(&s->gamma_break, s->injection == BML_SSC_POWER_LAW ? 1 : 0, 1e-3, 1e12);
    good &= bml_cuda__in_range(&s->p2, 0, -10, 10);
    good &= bml_cuda__in_range(&s->curvature, 0, -10, 10);
    good &= bml_cuda__in_range(&s->delta, 1, 1e-300, 1e6);
    good &= bml_cuda__in_range(&s->redshift, 0, 0, 1e4);
    if (!good || s->injection < 0 || s->injection >= BML_SSC_TABLE || s->self_absorption < 0 ||
        s->self_absorption > BML_SSC_SSA_HEATING)
        return BML_CUDA_PARAMETER;
    return s->gamma_max > s->gamma_min ? BML_CUDA_OK : BML_CUDA_ORDER;
}

static __device__ double bml_cuda__shape(const bml_cuda_source &s, double gamma) {
    double y = bml_cuda__log(gamma / s.gamma_break);
    switch (s.injection) {
    case BML_SSC_BROKEN: return bml_cuda__exp(-(y < 0 ? s.p : s.p2) * y);
    case BML_SSC_LOG_PARABOLA: return bml_cuda__exp(-(s.p + s.curvature * y / BML_CUDA__LN10) * y);
    case BML_SSC_CUTOFF: return bml_cuda__exp(-s.p * y - gamma / s.gamma_break);
    default: return bml_cuda__exp(-s.p * bml_cuda__log(gamma / s.gamma_min));
    }
}

static __device__ double bml_cuda__injected_energy(const bml_cuda_source &s, double lo, double hi) {
    static const double x[4] = {0.18343464249564980, 0.52553240991632899, 0.79666647741362674, 0.96028985649753623};
    static const double w[4] = {0.36268378337836198, 0.31370664587788729, 0.22238103445337447, 0.10122853629037626};
    double sum = 0;
    double mid = 0.5 * bml_cuda__log(lo * hi);
    double half = 0.5 * bml_cuda__log(hi / lo);
    if (s.injection == BML_SSC_POWER_LAW) {
        double y = (2 - s.p) * 2 * half;
        double scale = bml_cuda__shape(s, lo) * lo * lo;
        return scale * 2 * half * (fabs(y) < 1e-8 ? 1 + 0.5 * y : expm1(y) / y);
    }
    BML_CUDA__ROLLED
    for (int i = 0; i < 8; i++) {
        double gamma = bml_cuda__exp(mid + (i & 1 ? half : -half) * x[i / 2]);
        sum += half * w[i / 2] * gamma * gamma * bml_cuda__shape(s, gamma);
    }
    return sum;
}

/* One thread: grids' numbers. */
template <typename T, int SHARED>
static __device__ int bml_cuda__grids(bml_cuda__blob<T, SHARED> &b, const bml_cuda__tables<T> &t) {
    double h = t.h;
    double top = bml_cuda__log(b.src.gamma_max);
    b.b = b.src.B / (t.athena ? 4.414e13 : BML_CUDA__B_CRIT);
    b.l_B = BML_CUDA__SIGMA_T * b.src.R * b.src.B * b.src.B / (8 * BML_CUDA__PI * BML_CUDA__MC2);
    b.absorb =
        BML_CUDA__LAMBDA_C * BML_CUDA__LAMBDA_C * BML_CUDA__LAMBDA_C / (8 * BML_CUDA__PI * BML_CUDA__SIGMA_T * b.src.R);
    double G0;
    if (t.athena) {
        b.lg0 = -h;
        b.ng = (int)floor((top - b.lg0) / h + 1e-8) + 1;
        b.lx0 = bml_cuda__log(b.b) + 2 * h;
        b.nx = (int)floor((top - b.lx0) / (2 * h)) + 3;
        b.e0 = (int)floor((b.lx0 - b.lg0) / h);
        b.phi = (b.lx0 - b.lg0) / h - b.e0;
    } else {
        b.ng = (int)ceil(top / h - 1e-8);
        b.lg0 = top - (b.ng - 0.5) * h;
        b.nx = (int)ceil((top - bml_cuda__log(0.1 * b.b)) / h);
        b.lx0 = top - (b.nx - 0.5) * h;
        b.e0 = b.ng - b.nx;
        G0 = (b.lx0 + b.lg0 + BML_CUDA__LN4) / h;
        b.phi = G0 - floor(G0);
    }
    G0 = (b.lx0 + b.lg0 + BML_CUDA__LN4) / h - b.phi - t.c;
    b.g0 = (int)floor(G0 + 0.5);
    b.syn_lo = -2 * b.ng - 2;
    return b.ng <= t.max_ng && b.nx <= t.max_nx ? BML_CUDA_OK : BML_CUDA_OUTSIDE;
}

/* Q [ng]; leaves b.status. Numbers before normalisation may be huge, so they are double: they lie in the room of
   sums. Begins and ends with all threads together. */
template <typename T, int SHARED> static __device__ __noinline__ void bml_cuda__inject() {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    const bml_cuda__tables<T> t = b.tables;
    double total = 0;
    const auto energy = b.sums.doubles();
    const auto number = energy + b.ng;
    BML_CUDA__EACH(i, b.ng) {
        double gamma = bml_cuda__exp(b.lg0 + t.h * i);
        double lo = fmax(gamma * bml_cuda__exp(-0.5 * t.h), b.src.gamma_min);
        double hi = i + 1 < b.ng ? fmin(gamma * bml_cuda__exp(0.5 * t.h), b.src.gamma_max) : b.src.gamma_max;
        int inside = gamma >= b.src.gamma_min * (1 - 2.3e-9) && gamma <= b.src.gamma_max * (1 + 2.3e-9);
        energy[i] = hi > lo ? bml_cuda__injected_energy(b.src, lo, hi) : 0;
        if (!t.athena) {
            number[i] = energy[i] / gamma;
        } else {
            number[i] = inside ? bml_cuda__shape(b.src, gamma) * t.h * gamma : 0;
        }
    }
    __syncthreads();
    for (int i = 0; i < b.ng; i++)
        total += energy[i];
    if (threadIdx.x == 0 && !(total > 0 && total < HUGE_VAL)) {
        b.status = BML_CUDA_PARAMETER;
    }
    BML_CUDA__EACH(i, b.ng) {
        b.Q[i] = (T)(BML_CUDA__MANY * 3 * b.src.compactness / total * number[i]);
    }
    __syncthreads();
}

template <typename T, int SHARED>
static __device__ double bml_cuda__syn_norm(const bml_cuda__blob<T, SHARED> &b, const bml_cuda__tables<T> &t, int i) {
    double power = 0;
    double gamma = (double)b.gamma[i];
    if (!t.athena) {
        return 1;
    }
    for (int k = 0; k < b.nx; k++)
        power += (double)b.syn[t.r * k - 2 * i - b.syn_lo] * (double)b.x[k];
    power *= t.r * t.h;
    return power > 0 ? 4.0 / 3 * b.l_B * gamma * gamma / power : 0;
}

static __device__ double bml_cuda__thomson_integral(double q) {
    q = q < 1 ? q : 1;
    return q > 0 ? q * q * (0.5 + q * (2 * bml_cuda__log(q) / 3 + 1.0 / 9.0 - 0.5 * q)) : 0;
}

/* 4 q f(q) in the Thomson limit, f averaged over a cell on the converged grid. */
static __device__ double bml_cuda__thomson(double q, double hx, int average) {
    double f;
    if (q < 1e-7) {
        f = average ? bml_cuda__sinh(hx) / hx : 1;
    } else if (average) {
        f = (bml_cuda__thomson_integral(q * bml_cuda__exp(0.5 * hx)) -
             bml_cuda__thomson_integral(q * bml_cuda__exp(-0.5 * hx))) /
            (q * q * hx);
    } else {
        f = q < 1 ? 2 * q * bml_cuda__log(q) + (1 + 2 * q) * (1 - q) : 0;
    }
    return 4 * q * f;
}

/* Synchrotron and Compton kernels of this source. */
template <typename T, int SHARED> static __device__ __noinline__ void bml_cuda__kernels() {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    const bml_cuda__tables<T> t = b.tables;
    double h = t.h;
    double y0 = b.lx0 - 2 * b.lg0 - bml_cuda__log(1.5 * b.b);
    double unit = 8 * b.l_B / (9 * b.b);
    double u = b.phi * t.n_phi;
    int r = t.r;
    int per = t.cols / r;
    int ip = BML_CUDA__MIN((int)u, t.n_phi - 1);
    int pad = t.row_pad;
    int plane = r * t.cols * pad;
    BML_CUDA__EACH(d, r * b.nx + 2 * b.ng + 6) {
        double ln_y = y0 + h * (d + b.syn_lo);
        b.syn[d] = (T)(unit * (double)bml_cuda__at(t.syn, t.syn_n, t.syn_lo, ln_y, h));
        b.syn1[d] = (T)(unit * (double)bml_cuda__at(t.syn1, t.syn_n, t.syn_lo, ln_y, h));
        b.syn0[d] = (T)(unit * (double)bml_cuda__at(t.syn0, t.syn_n, t.syn_lo, ln_y, h));
    }
    BML_CUDA__EACH(at, t.cols * pad) { /* f between two phi, times 4 E/G */
        int m = at % pad;
        int col = at / pad % per;
        int sel = at / pad / per;
        int shift = r == 1 ? 0 : (sel + b.e0 + b.g0 - t.g_lo) & 1;
        const T *f =
            bml_cuda__global(t.f) + (ptrdiff_t)ip * plane + (ptrdiff_t)((sel * t.cols + col * r + shift) * pad + m);
        double E_over_G =
            bml_cuda__exp(h * ((t.athena ? b.phi : 0) - (m * r + sel) - (t.g_lo + col * r + shift + b.phi + t.c)));
        b.f[at] = (T)(4 * E_over_G) * (f[0] + (T)(u - ip) * (f[plane] - f[0]));
    }
    double q0 = h * (b.e0 - b.g0 - t.c - (t.athena ? 0 : b.phi));
    BML_CUDA__EACH(i, b.n_thomson) {
        b.thomson[i] = (T)bml_cuda__thomson(bml_cuda__exp(q0 - r * h * (i + b.thomson_lo)), r * h, !t.athena);
    }
    if (!t.athena) {
        BML_CUDA__EACH(i, b.ng + b.nx) { /* (4/G) int f E dE */
            double ln_G = h * (i + b.g0 + b.phi);
            double G = bml_cuda__exp(ln_G);
            double low = G * G / 9 * (1 - 1.575 * G);
            T ln_f = bml_cuda__at(t.loss, t.loss_n, t.loss_lo, ln_G, h);
            b.loss[i] = (T)(4 / G * (ln_G <= t.loss_lo ? low : bml_cuda__exp((double)ln_f)));
        }
    }
    if (b.src.pair_production) {
        BML_CUDA__EACH(i, 2 * b.nx) {
            b.gg[i] = bml_cuda__at(t.gg, t.gg_n, t.gg_lo, 2 * b.lx0 + r * h * i, h);
        }
    }
    __syncthreads();
    BML_CUDA__EACH(i, b.ng) {
        b.norm[i] = (T)(bml_cuda__syn_norm(b, t, i) / BML_CUDA__MANY);
    }
}

/* Empties the blob and makes it this source; leaves b.status. */
template <typename T, int SHARED> static __device__ __noinline__ void bml_cuda__begin(const bml_cuda_source *source) {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    const bml_cuda__tables<T> t = b.tables;
    __syncthreads();
    if (threadIdx.x == 0) {
        b.src = *bml_cuda__global(source);
        b.status = bml_cuda__resolve(&b.src);
        if (!b.status) {
            b.status = bml_cuda__grids(b, t);
        }
        double q0 = b.e0 - b.g0 - t.c - (t.athena ? 0 : b.phi);
        b.thomson_lo = b.status ? 0 : (int)floor(q0 / t.r - 0.5);
        b.n_thomson = BML_CUDA__MAX(0, b.nx + 2 / t.r * b.ng - b.thomson_lo);
        b.n_thomson = BML_CUDA__MIN(b.n_thomson, 2 * b.nx + 2 / t.r * b.ng);
        b.dt_last = b.t = 0;
    }
    __syncthreads();
    if (b.status) return;
    BML_CUDA__EACH(i, b.ng) {
        double gamma = bml_cuda__exp(b.lg0 + t.h * i);
        double width =
            t.athena ? t.h * gamma : gamma * bml_cuda__exp(0.5 * t.h) - fmax(gamma * bml_cuda__exp(-0.5 * t.h), 1.0);
        b.gamma[i] = (T)gamma;
        b.over_width[i] = (T)(gamma / width);
        b.M[i] = 0;
        b.M1[i] = 0;
        b.M2[i] = 0;
        b.flux[i] = 0;
        b.slope[i] = 0;
        b.wrong[i] = 0;
    }
    BML_CUDA__EACH(k, b.nx) {
        double x = bml_cuda__exp(b.lx0 + t.r * t.h * k);
        b.x[k] = (T)x;
        b.ssa[k] = (T)(b.absorb / x / x);
        b.v[k] = b.kappa[k] = 0;
        for (int c = 0; c < 2; c++)
            b.comp[c][k] = b.comp1[c][k] = b.comp2[c][k] = 0;
    }
    bml_cuda__inject<T, SHARED>();
    if (!b.status) {
        bml_cuda__kernels<T, SHARED>();
    }
    __syncthreads();
}

/* >> SSC: a time step */

template <typename T, int SHARED>
static __device__ T bml_cuda__history(const bml_cuda__blob<T, SHARED> &b, T last, T before) {
    T u = (T)b.a1 * last + (T)b.a2 * before;
    return (u > 0 ? u : last) / (T)b.dt;
}

template <typename T> static __device__ T bml_cuda__limited(T a, T c) {
    return (a > 0 && c > 0) || (a < 0 && c < 0) ? 2 * (a / (a + c)) * c : 0; /* a c may not be a float */
}

/* rate [ng] = |gamma_dot|/gamma of (5) and (8). */
template <typename T, int SHARED>
static __device__ __noinline__ void bml_cuda__losses(bml_cuda__array<T, SHARED> rate) {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    const bml_cuda__tables<T> t = b.tables;
    const T hx = (T)(t.r * t.h);
    const T syn = (T)(4.0 / 3 * b.l_B);
    const auto v = b.v;
    const auto x = b.x;
    BML_CUDA__EACH(i, b.ng) {
        const auto loss = b.loss + i;
        T gamma = b.gamma[i];
        T sum[4] = {0, 0, 0, 0};
        T compton;
        int j = 0;
        int nx = b.nx;
        if (!t.athena) {
            for (; j + 4 <= nx; j += 4)
                for (int m = 0; m < 4; m++)
                    sum[m] += v[j + m] * loss[j + m];
            for (; j < nx; j++)
                sum[0] += v[j] * loss[j];
            compton = (T)0.75 * hx * ((sum[0] + sum[1]) + (sum[2] + sum[3]));
        } else { /* trapezoid rule up to the last node below 3/(4 gamma) */
            for (; j < nx && x[j] < (T)0.75 / gamma; j++)
                sum[0] += x[j] * v[j];
            compton = j < 2 ? 0 : (T)(4.0 / 3) * gamma * hx * (sum[0] - (x[0] * v[0] + x[j - 1] * v[j - 1]) / 2);
        }
        rate[i] = syn * gamma + compton;
    }
    __syncthreads();
}

/* Pair production: kappa, and pairs added to S; as bml_ssc__pairs. */
template <typename T, int SHARED> static __device__ __noinline__ void bml_cuda__pairs(double escape) {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    const bml_cuda__tables<T> t = b.tables;
    double hx = t.r * t.h;
    BML_CUDA__EACH(k, b.nx) {
        int from = BML_CUDA__MIN(b.nx, BML_CUDA__MAX(0, (int)floor(-2 * b.lx0 / hx) - k));
        T sum = 0;
        for (int j = from; j < b.nx; j++)
            sum += b.v[j] * b.gg[j + k];
        sum *= (T)hx;
        T rate = sum * b.v[k] * (T)hx;
        b.emit[k] = rate * ((T)escape + b.kappa[k]) / ((T)escape + sum);
        b.kappa[k] = sum;
    }
    __syncthreads();
    BML_CUDA__EACH(i, b.ng) { /* what photons whose half lies beside node i share with it */
        double first = (b.lg0 + BML_CUDA__LN2 - b.lx0) / hx;
        int k = BML_CUDA__MAX((int)floor(first + (i - 1) * t.h / hx), 0);
        int end = BML_CUDA__MIN((int)floor(first + (i + 1) * t.h / hx) + 2, b.nx);
        for (; k < end; k++) {
            double ln_gamma = b.lx0 + hx * k - BML_CUDA__LN2;
            int below = (int)floor((ln_gamma - b.lg0) / t.h);
            if (ln_gamma > 0 && below >= 0 && below + 1 < b.ng) {
                T w = (b.x[k] / 2 - b.gamma[below]) / (b.gamma[below + 1] - b.gamma[below]);
                T both = (T)(2 * BML_CUDA__MANY) * b.emit[k];
                if (below == i) {
                    b.S[i] += both * (1 - w);
                } else if (below == i - 1) {
                    b.S[i] += both * w;
                }
            }
        }
    }
    __syncthreads();
}

/* Weights of the exponentially fitted scheme: M = fit_b F + fit_a, F the flux from above; see bml_ssc__cool_fitted. */
template <typename T, int SHARED> static __device__ __noinline__ void bml_cuda__fit(T lambda) {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    const auto g = b.work;
    BML_CUDA__EACH(i, b.ng) {
        b.work[i] = b.S[i] * b.rate[i] * b.over_width[i] / lambda;
    }
    __syncthreads();
    BML_CUDA__EACH(i, b.ng) {
        T tau = lambda / (b.rate[i] * b.over_width[i]);
        T down = i > 0 ? g[i - 1] : 0;
        T c1;
        T c2;
        T c3;
        T up = i + 1 < b.ng ? g[i + 1] : BML_CUDA__MAX(2 * g[i] - down, (T)0);
        T d = bml_cuda__limited(up - g[i], g[i] - down);
        if (tau > (T)0.05) {
            c1 = tau < 700 ? -bml_cuda__expm1(-tau) : 1;
            c2 = tau - c1;
            c3 = 1 - c1 / 2 - c1 / tau;
        } else {
            T deep = 1 - tau / 3 * (1 - tau / 4 * (1 - tau / 5));
            c1 = tau * (1 - tau / 2 * deep);
            c2 = tau * tau / 2 * deep;
            c3 = tau * tau * ((T)(1.0 / 12) - tau * ((T)(1.0 / 24) - tau / 80));
        }
        b.fit_a[i] = (g[i] * c2 + d * c3) / lambda;
        b.fit_b[i] = c1 / lambda;
    }
    __syncthreads();
}

/* F -> max(a F + c, d), a >= 0: one such map after another is again one. */
template <typename T> struct bml_cuda__map {
    T a;
    T c;
    T d;
};

template <typename T>
static __device__ bml_cuda__map<T> bml_cuda__then(const bml_cuda__map<T> &first, const bml_cuda__map<T> &second) {
    T floor = second.a * first.d + second.c;
    return {second.a * first.a, second.a * first.c + second.c, BML_CUDA__MAX(floor, second.d)};
}

/* For i = n-1 ... 0, F = step(i, F), from F = 0 >= 0 on, where map(i) says what step does to F: by all lanes of a warp,
   each of which joins the maps of some cells, and then the lanes'. */
template <typename T, typename Map, typename Step>
static __device__ void bml_cuda__from_top(int n, const Map &map, const Step &step) {
    int lane = (int)threadIdx.x % 32;
    int each = (n + 31) / 32;
    int top = n - 1 - lane * each;
    int end = BML_CUDA__MAX(top - each, -1);
    bml_cuda__map<T> all = {1, 0, 0};
    for (int i = top; i > end; i--)
        all = bml_cuda__then(all, map(i));
    for (unsigned reach = 1; reach < 32; reach *= 2) {
        bml_cuda__map<T> above;
        above.a = __shfl_up_sync(0xFFFFFFFFu, all.a, reach);
        above.c = __shfl_up_sync(0xFFFFFFFFu, all.c, reach);
        above.d = __shfl_up_sync(0xFFFFFFFFu, all.d, reach);
        if (lane >= (int)reach) {
            all = bml_cuda__then(above, all);
        }
    }
    T F = __shfl_up_sync(0xFFFFFFFFu, BML_CUDA__MAX(all.c, all.d), 1);
    if (lane == 0) {
        F = 0;
    }
    for (int i = top; i > end; i--)
        F = step(i, F);
}

/* The sum of all lanes' x, the same in all. */
template <typename T> static __device__ T bml_cuda__warp_sum(T x) {
    for (int other = 16; other > 0; other /= 2)
        x += __shfl_xor_sync(0xFFFFFFFFu, x, other);
    return x;
}

/* M and flux from the top down: one warp. */
template <typename T, int SHARED> static __device__ __noinline__ void bml_cuda__cool(T lambda) {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    const bml_cuda__tables<T> t = b.tables;
    const auto map = [&](int i) -> bml_cuda__map<T> {
        if (t.athena) {
            T rate = b.rate[i] * b.over_width[i];
            T share = rate / (lambda + rate);
            return {share, share * b.S[i], 0};
        }
        T kept = 1 - lambda * b.fit_b[i];
        return {BML_CUDA__MAX(kept, (T)0), b.S[i] - lambda * b.fit_a[i], 0};
    };
    const auto step = [&](int i, T F) -> T {
        T number;
        T out;
        if (t.athena) {
            T rate = b.rate[i] * b.over_width[i];
            number = (b.S[i] + F) / (lambda + rate);
            out = rate * number;
        } else {
            number = F * b.fit_b[i] + b.fit_a[i];
            out = F + b.S[i] - lambda * number;
        }
        b.M[i] = number;
        b.flux[i] = out > 0 ? out : 0;
        return b.flux[i];
    };
    bml_cuda__from_top<T>(b.ng, map, step);
}

/* 1/(width gamma^2) of cell i. */
template <typename T, int SHARED> static __device__ T bml_cuda__thin(const bml_cuda__blob<T, SHARED> &b, int i) {
    T gamma = b.gamma[i];
    return b.over_width[i] / gamma / gamma / gamma;
}

/* What makes the difference of N/gamma^2 between two cells the derivative at the face, as bml_ssc__faces. */
template <typename T, int SHARED> static __device__ __noinline__ void bml_cuda__faces() {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    const bml_cuda__tables<T> t = b.tables;
    T wide = (T)bml_cuda__exp(2 * t.h);
    BML_CUDA__EACH(i, b.ng) {
        T face = 1;
        if (i > 0 && b.M[i] > 0 && b.M[i - 1] > 0) {
            T here = b.M[i] * b.over_width[i] / b.gamma[i];
            T before = b.M[i - 1] * b.over_width[i - 1] / b.gamma[i - 1];
            double L = fmin(fabs(bml_cuda__log((double)(before / here * wide))), 4.0);
            if (L > 1e-3) {
                face = (T)(0.5 * L / bml_cuda__sinh(0.5 * L));
            }
        }
        b.face[i] = face;
    }
    __syncthreads();
}

/* kappa of self-absorption, as bml_ssc__absorb. */
template <typename T, int SHARED> static __device__ __noinline__ void bml_cuda__absorb() {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    const bml_cuda__tables<T> t = b.tables;
    T wide = (T)bml_cuda__exp(t.h);
    BML_CUDA__EACH(k, b.nx) {
        T sum = 0;
        T below = 0;                      /* N of the cell below the face */
        for (int i = 0; i <= b.ng; i++) { /* the lower face of cell i, on the lattice r k - 2 i */
            T above = i < b.ng ? b.M[i] * b.over_width[i] / b.gamma[i] : 0;
            T fall = below * wide - above / wide;
            if (i < b.ng) {
                fall *= b.face[i];
            }
            below = above;
            sum += fall * b.syn0[t.r * k - 2 * i + 1 - b.syn_lo];
        }
        if (sum > 0) {
            b.kappa[k] += sum * (T)(1 / BML_CUDA__MANY) * b.ssa[k];
        }
    }
}

/* Heating by absorbed photons, as bml_ssc__heat. fit_a: diffusion through the lower face of each cell, made by all;
   the tridiagonal system by one thread. */
template <typename T, int SHARED> static __device__ __noinline__ void bml_cuda__heat(T lambda) {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    const bml_cuda__tables<T> t = b.tables;
    const auto c_up = b.work;
    const auto rhs = b.slope;
    T rate_up = 0;
    T diff_up = 0;
    BML_CUDA__EACH(i, b.ng) {
        const auto P = b.syn0 + (-2 * i + 1 - b.syn_lo);
        T D = 0;
        for (int k = 0; i > 0 && k < b.nx; k++)
            D += P[t.r * k] * b.v[k] * (b.ssa[k] * b.x[k]); /* n = v/x */
        b.fit_a[i] = 0;
        if (i > 0) {
            T here = b.gamma[i];
            T below = b.gamma[i - 1];
            b.fit_a[i] = b.face[i] * (T)(t.r * t.h) * D * here * below / (here - below);
        }
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int i = b.ng - 1; i >= 0; i--) {
            T rate = b.M[i] > 0 ? b.flux[i] / b.M[i] : b.rate[i] * b.over_width[i];
            T diff = b.fit_a[i];
            T a = bml_cuda__thin(b, i);
            T diag = lambda + rate + diff * a + diff_up * a;
            T source = b.S[i];
            if (i + 1 < b.ng) {
                T in = rate_up + diff_up * bml_cuda__thin(b, i + 1);
                diag -= in * c_up[i + 1];
                source += in * rhs[i + 1];
            }
            rhs[i] = source / diag;
            c_up[i] = 0;
            if (i > 0) {
                c_up[i] = diff * bml_cuda__thin(b, i - 1) / diag;
            }
            b.flux[i] = rate;
            rate_up = rate;
            diff_up = diff;
        }
        for (int i = 0; i < b.ng; i++) {
            b.M[i] = rhs[i] + (i > 0 ? c_up[i] * b.M[i - 1] : 0);
            b.flux[i] *= b.M[i];
        }
    }
    __syncthreads();
}

/* Electrons of the new time for the present rate and photons. */
template <typename T, int SHARED> static __device__ __noinline__ void bml_cuda__move_electrons() {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    const bml_cuda__tables<T> t = b.tables;
    T lambda = (T)(b.a0 / b.dt + 1 / b.src.electron_escape);
    BML_CUDA__EACH(i, b.ng) {
        b.S[i] = b.base[i];
    }
    if (!b.src.pair_production) {
        BML_CUDA__EACH(k, b.nx) {
            b.kappa[k] = 0;
        }
    }
    __syncthreads();
    if (b.src.pair_production) {
        bml_cuda__pairs<T, SHARED>(b.a0 / b.dt + 1);
    }
    if (!t.athena) {
        bml_cuda__fit<T, SHARED>(lambda);
    }
    if (threadIdx.x < 32) {
        bml_cuda__cool<T, SHARED>(lambda);
    }
    __syncthreads();
    if (b.src.self_absorption) {
        bml_cuda__faces<T, SHARED>();
    }
    if (b.src.self_absorption == BML_SSC_SSA_HEATING) {
        bml_cuda__heat<T, SHARED>(lambda);
    }
    if (b.src.self_absorption) {
        bml_cuda__absorb<T, SHARED>();
    }
    BML_CUDA__EACH(i, b.ng) {
        T up = i + 1 < b.ng ? b.M[i + 1] : 0;
        T down = i > 0 ? b.M[i - 1] : 0;
        b.slope[i] = b.M[i] > 0 ? bml_cuda__limited(up - b.M[i], b.M[i] - down) / b.M[i] : 0;
    }
    __syncthreads();
}

/* A component of the photons at the new time, from its emission. */
template <typename T, int SHARED>
static __device__ void bml_cuda__move_photon(bml_cuda__blob<T, SHARED> &b, int c, int k, T emitted) {
    T lambda = (T)(b.a0 / b.dt + 1);
    b.comp[c][k] = (bml_cuda__history(b, b.comp1[c][k], b.comp2[c][k]) + emitted) / (lambda + b.kappa[k]);
}

template <typename T, int SHARED> static __device__ __noinline__ void bml_cuda__synchrotron() {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    const bml_cuda__tables<T> t = b.tables;
    BML_CUDA__EACH(k, b.nx) {
        T sum = 0;
        for (int i = 0; i < b.ng; i++) {
            int d = t.r * k - 2 * i - b.syn_lo;
            T m = b.M[i] * b.norm[i];
            sum += m * b.syn[d] + m * b.slope[i] * b.syn1[d];
        }
        bml_cuda__move_photon(b, 0, k, sum);
        b.target[k] = b.comp[0][k] + b.comp[1][k];
    }
    __syncthreads();
}

/* conv, suffix; then sums [ng][row_pad]: what an electron of each cell makes in each row, E >= 1e-3, from all
   photons. */
template <typename T, int SHARED> static __device__ __noinline__ void bml_cuda__compton_sums() {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    const bml_cuda__tables<T> t = b.tables;
    const auto v = b.target;
    const int *span = bml_cuda__global(t.span);
    const T decay = (T)bml_cuda__exp(-t.r * t.h);
    int r = t.r;
    int nx = b.nx;
    int per = t.cols / r;
    int pad = t.row_pad;
    int lane = (int)threadIdx.x % 32;
    int shift_d = 2 / r * b.ng;
    BML_CUDA__EACH(d, nx + shift_d) { /* d - shift_d = k - (2/r) i */
        int from = BML_CUDA__MAX(0, d - shift_d + b.thomson_lo);
        const auto T_of = b.thomson + (shift_d - d - b.thomson_lo);
        T sum = 0;
        for (int j = from; j < nx; j++)
            sum += v[j] * T_of[j];
        b.conv[d] = sum;
    }
    if (threadIdx.x >= blockDim.x - 32) { /* suffix_j = sum_{j' >= j} v_j' x_j/x_j' */
        const auto map = [&](int j) -> bml_cuda__map<T> { return {decay, v[j], 0}; };
        const auto step = [&](int j, T above) -> T {
            b.suffix[j] = v[j] + decay * above;
            return b.suffix[j];
        };
        bml_cuda__from_top<T>(nx, map, step);
    }
    __syncthreads();
    for (int i = (int)threadIdx.x / 32; i < b.ng; i += (int)blockDim.x / 32) {
        int sel = (i - b.e0) & (r - 1);
        int shift = r == 1 ? 0 : (sel + b.e0 + b.g0 - t.g_lo) & 1;
        int j0 = (t.g_lo + shift - i - b.g0) / r;
        for (int m = lane; m < pad; m += 32) {
            const auto F = b.f + (sel * per * pad + m);
            int lo = BML_CUDA__MAX(span[m / 8 * 2], -j0);
            int hi = span[m / 8 * 2 + 1];
            int end = BML_CUDA__MIN(hi, nx - j0);
            T sum = 0;
            for (int col = lo; col < end; col++)
                sum += v[j0 + col] * F[col * pad];
            if (j0 + hi < nx) { /* beyond, f is what it is at the last column, and 4E/G falls as 1/x */
                int from = BML_CUDA__MAX(0, j0 + hi);
                int steps = from - (j0 + hi - 1);
                sum += F[(hi - 1) * pad] * b.suffix[from] * (steps == 1 ? decay : (T)bml_cuda__exp(-r * t.h * steps));
            }
            b.sums[i * pad + m] = sum;
        }
    }
    __syncthreads();
}

/* What the electrons of a cell, which lean to one side of it, lose against as many at its node, as
   bml_ssc__spread_in_cell. */
template <typename T, int SHARED>
static __device__ T bml_cuda__spread(const bml_cuda__blob<T, SHARED> &b, const bml_cuda__tables<T> &t, int i) {
    if (t.athena || i == 0 || i + 1 >= b.ng) {
        return 1;
    }
    T ratio = b.rate[i + 1] / b.rate[i - 1] * (T)bml_cuda__exp(2 * t.h);
    T ah = (T)1.5 * (ratio * ratio - 1) / (ratio * ratio + 4 * ratio + 1);
    return 1 + ah * (ah / 24 + b.slope[i] / 12);
}

template <typename T, int SHARED> static __device__ __noinline__ void bml_cuda__compton() {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    const bml_cuda__tables<T> t = b.tables;
    int r = t.r;
    int ng = b.ng;
    int pad = t.row_pad;
    T w = (T)(0.75 * r * t.h / BML_CUDA__MANY);
    BML_CUDA__EACH(i, b.ng) {
        b.work[i] = 0;
        if (b.gamma[i] > 1) {
            b.work[i] = b.M[i] * bml_cuda__spread(b, t, i);
        }
    }
    bml_cuda__compton_sums<T, SHARED>();
    BML_CUDA__EACH(k, b.nx) {
        int low = r * k + b.e0;
        int i = BML_CUDA__MAX(0, low);
        int end = BML_CUDA__MIN(ng, low + t.rows);
        const auto conv = b.conv + (k + 2 / r * ng);
        T sum = 0;
        for (; i < end; i++)
            sum += b.work[i] * b.sums[i * pad + (i - low) / r];
        for (i = BML_CUDA__MAX(0, low + t.rows); i < ng; i++)
            sum += b.work[i] * conv[-(2 / r) * i];
        bml_cuda__move_photon(b, 1, k, w * sum);
        b.v[k] = b.comp[0][k] + b.comp[1][k];
    }
    __syncthreads();
}

template <typename A> static __device__ void bml_cuda__swap(A *a, A *c) {
    A kept = *a;
    *a = *c;
    *c = kept;
}

/* BDF2's coefficients, the history, and a first guess of the photons, linear in time. */
template <typename T, int SHARED> static __device__ __noinline__ void bml_cuda__start_step(double dt) {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    __syncthreads();
    if (threadIdx.x == 0) {
        double w = b.dt_last > 0 ? dt / b.dt_last : 0;
        b.dt = dt;
        b.omega = w;
        b.a0 = (1 + 2 * w) / (1 + w);
        b.a1 = 1 + w;
        b.a2 = -w * w / (1 + w);
        bml_cuda__swap(&b.M2, &b.M1);
        for (int c = 0; c < 2; c++) {
            bml_cuda__swap(&b.comp2[c], &b.comp1[c]);
            bml_cuda__swap(&b.comp1[c], &b.comp[c]);
        }
    }
    __syncthreads();
    BML_CUDA__EACH(i, b.ng) {
        b.M1[i] = b.M[i];
        b.base[i] = bml_cuda__history(b, b.M1[i], b.M2[i]) + b.Q[i];
    }
    BML_CUDA__EACH(k, b.nx) {
        for (int c = 0; c < 2; c++) {
            T last = b.comp1[c][k];
            T guess = last + (T)b.omega * (last - b.comp2[c][k]);
            b.comp[c][k] = guess > last / 2 ? guess : last / 2;
        }
        b.v[k] = b.comp[0][k] + b.comp[1][k];
    }
    __syncthreads();
}

/* How far the fixed point of a step is held, `left` before the end, as bml_ssc__tolerance. */
static __device__ double bml_cuda__tolerance(const bml_cuda_source &s, double left) {
    if (s.pair_production) {
        return 3e-4;
    }
    if (s.self_absorption == BML_SSC_SSA_HEATING) {
        return 1e-3;
    }
    return fmin(2e-3 * bml_cuda__exp(left / fmax(s.electron_escape, 1.0)), 2e-2);
}

/* Loss rates to begin a step with: those of the guessed photons, and what such a guess lacked in the last step. */
template <typename T, int SHARED> static __device__ __noinline__ void bml_cuda__guess() {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    T again = (T)(b.omega * b.omega);
    bml_cuda__losses<T, SHARED>(b.guess);
    BML_CUDA__EACH(i, b.ng) {
        b.rate[i] = b.guess[i] * (1 + again * b.wrong[i]);
    }
    __syncthreads();
}

/* The larger of two; NaN is above all. */
template <typename T> static __device__ T bml_cuda__larger(T a, T c) {
    return a != a || a >= c ? a : c;
}

/* miss: relative difference of old = F(rate) from rate; the largest, where a NaN stays. Each warp finds it for
   itself. */
template <typename T, int SHARED> static __device__ __noinline__ T bml_cuda__change() {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    __syncthreads();
    if (threadIdx.x == 0) {
        bml_cuda__swap(&b.miss, &b.miss_last);
    }
    __syncthreads();
    BML_CUDA__EACH(i, b.ng) {
        b.miss[i] = (b.old[i] - b.rate[i]) / b.old[i];
    }
    __syncthreads();
    T change = 0;
    for (int i = (int)threadIdx.x % 32; i < b.ng; i += 32)
        change = bml_cuda__larger(change, (T)fabs(b.miss[i]));
    for (int other = 16; other > 0; other /= 2)
        change = bml_cuda__larger(change, __shfl_xor_sync(0xFFFFFFFFu, change, other));
    return change;
}

/* The next rate from F(rate) of this pass and the last, as bml_ssc__accelerate. */
template <typename T, int SHARED> static __device__ __noinline__ void bml_cuda__accelerate(int pass) {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    T top = 0;
    T bottom = 0;
    T theta = 0;
    for (int i = (int)threadIdx.x % 32; i < b.ng && pass > 0 && pass < 8; i += 32) {
        T d = b.miss[i] - b.miss_last[i];
        top += d * b.miss[i];
        bottom += d * d;
    }
    top = bml_cuda__warp_sum(top);
    bottom = bml_cuda__warp_sum(bottom);
    if (bottom > 0) {
        theta = top / bottom;
        theta = BML_CUDA__MAX(theta, (T)-2);
        theta = BML_CUDA__MIN(theta, (T)0.8);
    }
    BML_CUDA__EACH(i, b.ng) {
        T F = b.old[i];
        T next = F;
        if (pass >= 8) {
            next = (F + b.rate[i]) / 2; /* a slow or circling fixed point is met half-way */
        } else if (pass > 0) {
            next = F - theta * (F - b.old_last[i]);
        }
        next = BML_CUDA__MAX(next, F / 2);
        b.rate[i] = BML_CUDA__MIN(next, 2 * F);
        b.old_last[i] = F;
    }
    __syncthreads();
}

/* One step; the status is the same in all threads. */
template <typename T, int SHARED> static __device__ __noinline__ int bml_cuda__step(double dt, double tolerance) {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    T change = 1;
    bml_cuda__start_step<T, SHARED>(dt);
    bml_cuda__guess<T, SHARED>();
    for (int pass = 0; pass < 60 && !(change <= (T)tolerance); pass++) {
        bml_cuda__move_electrons<T, SHARED>();
        bml_cuda__synchrotron<T, SHARED>();
        bml_cuda__compton<T, SHARED>();
        bml_cuda__losses<T, SHARED>(b.old);
        change = bml_cuda__change<T, SHARED>();
        if (!(change <= (T)tolerance)) {
            bml_cuda__accelerate<T, SHARED>(pass);
        }
    }
    BML_CUDA__EACH(i, b.ng) {
        T wrong = b.old[i] / b.guess[i] - 1;
        wrong = BML_CUDA__MAX(wrong, (T)-0.2);
        b.wrong[i] = BML_CUDA__MIN(wrong, (T)0.2);
    }
    if (threadIdx.x == 0) {
        b.dt_last = dt;
        b.t += dt;
    }
    __syncthreads();
    if (change != change) {
        return BML_CUDA_PARAMETER;
    }
    return change <= (T)tolerance ? BML_CUDA_OK : BML_CUDA_NOT_CONVERGED;
}

/* >> SSC: what comes out */

/* ln of x^2 n of a component at ln x, as bml_ssc__evaluate. */
template <typename T, int SHARED>
static __device__ double bml_cuda__node(const bml_cuda__blob<T, SHARED> &b, int component, int k) {
    if (k < 0 || k >= b.nx) {
        return -HUGE_VAL;
    }
    auto from = b.v;
    if (component != BML_SSC_TOTAL) {
        from = b.comp[component == BML_SSC_SYNCHROTRON ? 0 : 1];
    }
    double v = (double)from[k];
    return v <= 0 ? -HUGE_VAL : bml_cuda__log(v * (double)b.x[k]);
}

template <typename T, int SHARED>
static __device__ double bml_cuda__evaluate(const bml_cuda__blob<T, SHARED> &b, const bml_cuda__tables<T> &t,
                                            int component, double ln_x) {
    double u = (ln_x - b.lx0) / (t.r * t.h);
    if (!(u < b.nx - (t.athena ? 1.0 : 0.5))) {
        return -HUGE_VAL;
    }
    int k = u < 0 ? 0 : BML_CUDA__MIN((int)u, b.nx - 2);
    double w = u - k;
    double y0 = bml_cuda__node(b, component, k - 1);
    double y1 = bml_cuda__node(b, component, k);
    double y2 = bml_cuda__node(b, component, k + 1);
    double y3 = bml_cuda__node(b, component, k + 2);
    if (!(y1 > -HUGE_VAL && y2 > -HUGE_VAL)) {
        return -HUGE_VAL;
    }
    if (t.athena || w < 0 || w > 1 || !(y0 > -HUGE_VAL && y3 > -HUGE_VAL)) {
        return y1 + w * (y2 - y1);
    }
    return y1 + 0.5 * w * (y2 - y0 + w * (2 * y0 - 5 * y1 + 4 * y2 - y3 + w * (3 * (y1 - y2) + y3 - y0)));
}

template <typename T, int SHARED>
static __device__ __noinline__ void bml_cuda__observe(ptrdiff_t row, bml_cuda_spectra s) {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    const bml_cuda__tables<T> t = b.tables;
    double *out = bml_cuda__global(s.out) + row * s.n_nu;
    const double *nu = bml_cuda__global(s.nu);
    double delta2 = b.src.delta * b.src.delta;
    if (b.status && b.status != BML_CUDA_NOT_CONVERGED) {
        BML_CUDA__EACH(i, s.n_nu) {
            out[i] = BML_CUDA__NAN;
        }
        return;
    }
    double unit = 4 * BML_CUDA__PI * b.src.R * BML_CUDA__MC2 * BML_CUDA__C / (3 * BML_CUDA__SIGMA_T);
    unit *= delta2 * delta2 / (4 * BML_CUDA__PI * b.src.distance * b.src.distance);
    double shift = (1 + b.src.redshift) / b.src.delta * BML_CUDA__H / BML_CUDA__MC2;
    BML_CUDA__EACH(i, s.n_nu) {
        double value = unit * bml_cuda__exp(bml_cuda__evaluate(b, t, s.component, bml_cuda__log(nu[i] * shift)));
        if (s.absorption) {
            value *= bml_cuda__global(s.absorption)[i];
        }
        out[i] = nu[i] > 0 && nu[i] < HUGE_VAL ? value : BML_CUDA__NAN;
    }
}

/* A block a source, and then the next. workspace: NULL = in shared memory, else [blocks][size]. */
template <typename T, int SHARED>
static __global__ void __launch_bounds__(BML_CUDA__THREADS, sizeof(T) < sizeof(double) ? 3 : 2)
    bml_cuda__ssc_kernel(const bml_cuda_spectra s, const bml_cuda__tables<T> t, T *workspace, ptrdiff_t size) {
    bml_cuda__blob<T, SHARED> &b = bml_cuda__own<T, SHARED>();
    if (threadIdx.x == 0) {
        b.tables = t;
        bml_cuda__layout(&b, SHARED ? (T *)NULL : workspace + (ptrdiff_t)blockIdx.x * size, t);
    }
    __syncthreads();
    for (ptrdiff_t row = blockIdx.x; row < s.n; row += gridDim.x) {
        bml_cuda__begin<T, SHARED>(s.sources + row);
        if (!b.status) {
            double steps = ceil(b.src.t_end / t.time_step - 1e-9);
            double t_end = b.src.t_end;
            int n = steps < 1 ? 1 : (int)steps;
            int status = BML_CUDA_OK;
            int one = BML_CUDA_OK;
            for (int i = 0; i < n && one != BML_CUDA_PARAMETER; i++) {
                double end = t_end * (i + 1) / n;
                double tolerance = bml_cuda__tolerance(b.src, t_end - end);
                one = bml_cuda__step<T, SHARED>(end - b.t, tolerance);
                if (one) {
                    status = one;
                }
            }
            if (threadIdx.x == 0) {
                b.status = status;
            }
            __syncthreads();
        }
        bml_cuda__observe<T, SHARED>(row, s);
        if (threadIdx.x == 0) {
            s.status[row] = b.status;
        }
    }
}

/* >> SSC: the host's side */

struct bml_cuda_ssc {
    bml_cuda *cuda;
    int single;
    int in_shared;
    ptrdiff_t size;  /* of a source's state, in numbers */
    size_t bytes;    /* of shared memory */
    unsigned blocks; /* for which there is workspace, when not in shared memory */
    bml_cuda__tables<double> d;
    bml_cuda__tables<float> s;
    void *memory;
    void *span;
    void *workspace; /* device */
};

/* The CPU's tables as T, one after another, in memory of the host; offset[6]: where each begins. NULL without
   memory. */
template <typename T>
static T *bml_cuda__convert(ptrdiff_t *count, ptrdiff_t *offset, bml_cuda__tables<T> *t, const bml_ssc *c) {
    ptrdiff_t n_f = (ptrdiff_t)(c->n_phi + 1) * c->r * c->cols * c->row_pad;
    ptrdiff_t used = 0;
    const double *from[] = {
        c->f, c->syn.value, c->syn1.value, c->syn0.value, c->loss.value, c->gg.value,
    };
    ptrdiff_t n[] = {
        n_f, c->syn.n, c->syn1.n, c->syn0.n, c->loss.n, c->gg.n,
    };
    for (int i = 0; i < 6; i++) {
        offset[i] = used;
        used += n[i];
    }
    T *all;
    all = (T *)malloc(bml_cuda__bytes(used, sizeof *all));
    *count = used;
    for (int i = 0; all && i < 6; i++)
        for (ptrdiff_t k = 0; k < n[i]; k++)
            all[offset[i] + k] = (T)from[i][k];
    t->h = c->h;
    t->time_step = c->time_step;
    t->c = c->c;
    t->syn_lo = c->syn.lo;
    t->loss_lo = c->loss.lo;
    t->gg_lo = c->gg.lo;
    t->syn_n = c->syn.n;
    t->loss_n = c->loss.n;
    t->gg_n = c->gg.n;
    t->athena = c->grid == BML_SSC_ATHENA;
    t->r = c->r;
    t->n_phi = c->n_phi;
    t->rows = c->rows;
    t->row_pad = c->row_pad;
    t->cols = c->cols;
    t->g_lo = c->g_lo;
    return all;
}

/* Largest grids of any source within the limits. */
template <typename T>
static void bml_cuda__limits(bml_cuda__tables<T> *t, const bml_ssc *c, double gamma_max, double B_min) {
    double top = log(gamma_max);
    double low = log(0.1 * B_min / BML_CUDA__B_CRIT);
    t->max_ng = BML_CUDA__MIN((int)(top / t->h) + 4, c->max_ng);
    t->max_nx = BML_CUDA__MIN((int)((top - low) / (t->r * t->h)) + 6, c->max_nx);
}

template <typename T>
static int bml_cuda__ssc_prepare(bml_cuda_ssc *s, bml_cuda__tables<T> *t, const bml_ssc *tables,
                                 const bml_cuda_ssc_config *config) {
    bml_cuda *cuda = s->cuda;
    ptrdiff_t count = 0;
    ptrdiff_t offset[6];
    const T **pointer[] = {
        &t->f, &t->syn, &t->syn1, &t->syn0, &t->loss, &t->gg,
    };
    T *all = bml_cuda__convert(&count, offset, t, tables);
    int status = all ? bml_cuda__upload(&s->memory, all, bml_cuda__bytes(count, sizeof(T)), cuda) : BML_CUDA_NO_MEMORY;
    free(all);
    if (!status) {
        status = bml_cuda__upload(&s->span, tables->span, sizeof tables->span, cuda);
    }
    if (status) return status;
    for (int i = 0; i < 6; i++)
        *pointer[i] = (const T *)s->memory + offset[i];
    t->span = (const int *)s->span;
    bml_cuda__limits(t, tables, config->gamma_max, config->B_min);
    bml_cuda__blob<T, 1> blob;
    s->size = bml_cuda__layout(&blob, (T *)NULL, *t);
    s->bytes = bml_cuda__bytes(s->size, sizeof(T));
    s->in_shared = s->bytes + sizeof blob + 1024 <= cuda->shared;
    if (s->in_shared) {
        return bml_cuda__allow_shared(cuda, bml_cuda__ssc_kernel<T, 1>);
    }
    size_t bytes = s->bytes;
    s->bytes = 0;
    s->blocks = bml_cuda__grid(cuda, bml_cuda__ssc_kernel<T, 0>, 0, 1u << 16);
    return bml_cuda_alloc(&s->workspace, s->blocks * bytes, cuda);
}

BML_CUDA_DEF int bml_cuda_ssc_create(bml_cuda_ssc **out, const bml_cuda_ssc_config *config, bml_cuda *cuda) {
    bml_ssc *tables = NULL;
    int status = bml_cuda__enter(cuda);
    if (out) {
        *out = NULL;
    }
    if (status) return status;
    bml_cuda_ssc_config c;
    memset(&c, 0, sizeof c);
    if (config) {
        c = *config;
    }
    if (c.gamma_max == 0) {
        c.gamma_max = 1e10;
    }
    if (c.B_min == 0) {
        c.B_min = 1e-8;
    }
    if (!out || !(c.gamma_max > 1 && c.gamma_max <= 1e10) || !(c.B_min >= 1e-8 && c.B_min <= 1e6))
        return BML_CUDA_BAD_ARGUMENT;
    bml_ssc_config cpu = {};
    cpu.grid = (bml_ssc_grid)c.grid;
    cpu.pitch = (bml_ssc_pitch)c.pitch;
    cpu.spacing = c.spacing;
    cpu.time_step = c.time_step;
    char why[BML_SSC_MESSAGE];
    int made = bml_ssc_create(&tables, &cpu, why);
    if (made)
        return bml_cuda__fail(cuda, made == BML_SSC_NO_MEMORY ? BML_CUDA_NO_MEMORY : BML_CUDA_BAD_ARGUMENT, "%s", why);
    bml_cuda_ssc *s;
    s = (bml_cuda_ssc *)calloc(1, sizeof *s);
    if (!s) {
        status = BML_CUDA_NO_MEMORY;
    } else {
        s->cuda = cuda;
        s->single = c.single != 0;
        status = s->single ? bml_cuda__ssc_prepare(s, &s->s, tables, &c) : bml_cuda__ssc_prepare(s, &s->d, tables, &c);
    }
    bml_ssc_free(tables);
    if (status) {
        bml_cuda_ssc_free(s);
    } else {
        *out = s;
    }
    return status;
}

BML_CUDA_DEF void bml_cuda_ssc_free(bml_cuda_ssc *s) {
    if (!s) return;
    bml_cuda_release(s->memory, s->cuda);
    bml_cuda_release(s->span, s->cuda);
    bml_cuda_release(s->workspace, s->cuda);
    free(s);
}

template <typename T>
static int bml_cuda__launch_ssc(const bml_cuda_spectra &spectra, const bml_cuda__tables<T> &t, bml_cuda_stream stream,
                                bml_cuda_ssc *s) {
    const auto kernel = s->in_shared ? bml_cuda__ssc_kernel<T, 1> : bml_cuda__ssc_kernel<T, 0>;
    unsigned grid = (unsigned)spectra.n;
    if (s->in_shared) {
        grid = bml_cuda__grid(s->cuda, kernel, s->bytes, grid);
    } else if (grid > s->blocks) {
        grid = s->blocks;
    }
    bml_cuda__launch(s->cuda, grid, s->bytes, stream, kernel, spectra, t, (T *)s->workspace, s->size);
    return bml_cuda__launched(s->cuda, "SSC kernel");
}

BML_CUDA_DEF int bml_cuda_ssc_solve(const bml_cuda_spectra *spectra, bml_cuda_stream stream, bml_cuda_ssc *s) {
    int status = s ? bml_cuda__enter(s->cuda) : BML_CUDA_BAD_ARGUMENT;
    if (status) return status;
    if (!spectra || spectra->n < 0 || spectra->n_nu < 1 || spectra->component < 0 ||
        spectra->component > BML_SSC_COMPTON)
        return BML_CUDA_BAD_ARGUMENT;
    if (spectra->n == 0) {
        return BML_CUDA_OK;
    }
    if (!spectra->out || !spectra->status || !spectra->sources || !spectra->nu) {
        return BML_CUDA_BAD_ARGUMENT;
    }
    return s->single ? bml_cuda__launch_ssc(*spectra, s->s, stream, s)
                     : bml_cuda__launch_ssc(*spectra, s->d, stream, s);
}

BML_CUDA_DEF int bml_cuda_ssc_solve_host(const bml_cuda_spectra *spectra, bml_cuda_ssc *s) {
    bml_cuda__buffers b = bml_cuda__kept_buffers(s ? s->cuda : NULL);
    if (!s || !spectra || spectra->n < 0 || spectra->n_nu < 1 || !spectra->out || !spectra->status ||
        !spectra->sources || !spectra->nu)
        return BML_CUDA_BAD_ARGUMENT;
    bml_cuda_spectra d = *spectra;
    ptrdiff_t n = d.n;
    ptrdiff_t n_nu = d.n_nu;
    if (!n) {
        return BML_CUDA_OK;
    }
    d.sources = (const bml_cuda_source *)bml_cuda__buffer(&b, d.sources, n, sizeof *d.sources);
    d.nu = (const double *)bml_cuda__buffer(&b, d.nu, n_nu, sizeof *d.nu);
    if (d.absorption) {
        d.absorption = (const double *)bml_cuda__buffer(&b, d.absorption, n_nu, sizeof *d.absorption);
    }
    d.out = (double *)bml_cuda__buffer(&b, NULL, n * n_nu, sizeof *d.out);
    d.status = (int *)bml_cuda__buffer(&b, NULL, n, sizeof *d.status);
    if (!b.status) {
        b.status = bml_cuda_ssc_solve(&d, NULL, s);
    }
    bml_cuda__fetch(&b, spectra->out, d.out, bml_cuda__bytes(n * n_nu, sizeof *d.out));
    bml_cuda__fetch(&b, spectra->status, d.status, bml_cuda__bytes(n, sizeof *d.status));
    int status = bml_cuda__done(&b);
    for (ptrdiff_t i = 0; !status && i < n; i++)
        status = spectra->status[i];
    return status;
}

/* >> likelihoods */

static __device__ double bml_cuda__ln_phi(double z) {
    if (z > -20) {
        return log(0.5 * erfc(-z / sqrt(2.0)));
    }
    return -0.5 * z * z - log(-z * sqrt(2 * BML_CUDA__PI)) + log1p(-1 / (z * z) + 3 / (z * z * z * z));
}

/* ln L of one point; NaN for what bml_ssc_log_likelihood refuses. F, log_F: the model and its log10. */
static __device__ double bml_cuda__point_likelihood(const bml_cuda_point &p, double F, double log_F, double extra) {
    if (!(F >= 0 && F < HUGE_VAL) || !(p.nuFnu > 0 && p.nuFnu < HUGE_VAL && p.sigma_hi >= 0 && p.sigma_hi < HUGE_VAL))
        return BML_CUDA__NAN;
    if (p.upper_limit)
        return bml_cuda__ln_phi((p.nuFnu - F) / (p.sigma_hi == 0 ? p.nuFnu / 1.6448536269514722 : p.sigma_hi));
    double r = log_F - log10(p.nuFnu);
    double sigma = r > 0 ? p.sigma_hi : p.sigma_lo;
    double var = sigma * sigma + extra;
    if (!(p.sigma_lo >= 0 && p.sigma_lo < HUGE_VAL) || !(var > 0 && var < HUGE_VAL)) {
        return BML_CUDA__NAN;
    }
    return F > 0 ? -0.5 * (r * r / var + log(2 * BML_CUDA__PI * var)) : -HUGE_VAL;
}

static __global__ void __launch_bounds__(BML_CUDA__THREADS) bml_cuda__likelihood_kernel(const bml_cuda_likelihoods l) {
    BML_CUDA__CELLS(row, l.n) {
        double sum = 0;
        double extra = l.ln_f ? exp(2 * l.ln_f[row]) : 0;
        for (int i = 0; i < l.n_points; i++) {
            ptrdiff_t at = row * l.n_points + i;
            double log_F = l.model ? log10(l.model[at]) : (double)l.log10_model[at];
            double F = l.model ? l.model[at] : exp(BML_CUDA__LN10 * log_F);
            sum += bml_cuda__point_likelihood(l.points[i], F, log_F, extra);
        }
        l.ln_l[row] = sum;
    }
}

BML_CUDA_DEF int bml_cuda_log_likelihood(const bml_cuda_likelihoods *l, bml_cuda_stream stream, bml_cuda *cuda) {
    int status = bml_cuda__enter(cuda);
    if (status) return status;
    if (!l || l->n < 0 || l->n_points < 1) {
        return BML_CUDA_BAD_ARGUMENT;
    }
    if (l->n == 0) {
        return BML_CUDA_OK;
    }
    if (!l->ln_l || (!l->model && !l->log10_model) || !l->points) {
        return BML_CUDA_BAD_ARGUMENT;
    }
    unsigned blocks = (unsigned)(l->n - 1) / BML_CUDA__THREADS + 1;
    bml_cuda__launch(cuda, blocks, 0, stream, bml_cuda__likelihood_kernel, *l);
    return bml_cuda__launched(cuda, "likelihood kernel");
}

BML_CUDA_DEF int bml_cuda_log_likelihood_host(const bml_cuda_likelihoods *l, bml_cuda *cuda) {
    bml_cuda__buffers b = bml_cuda__kept_buffers(cuda);
    if (!l || l->n < 0 || l->n_points < 1 || (l->n && (!l->ln_l || (!l->model && !l->log10_model) || !l->points)))
        return BML_CUDA_BAD_ARGUMENT;
    if (!l->n) {
        return BML_CUDA_OK;
    }
    bml_cuda_likelihoods d = *l;
    ptrdiff_t n = d.n;
    ptrdiff_t cells = n * d.n_points;
    if (d.model) {
        d.model = (const double *)bml_cuda__buffer(&b, d.model, cells, sizeof *d.model);
    } else {
        d.log10_model = (const float *)bml_cuda__buffer(&b, d.log10_model, cells, sizeof *d.log10_model);
    }
    d.points = (const bml_cuda_point *)bml_cuda__buffer(&b, d.points, d.n_points, sizeof *d.points);
    if (d.ln_f) {
        d.ln_f = (const double *)bml_cuda__buffer(&b, d.ln_f, n, sizeof *d.ln_f);
    }
    d.ln_l = (double *)bml_cuda__buffer(&b, NULL, n, sizeof *d.ln_l);
    if (!b.status) {
        b.status = bml_cuda_log_likelihood(&d, NULL, cuda);
    }
    bml_cuda__fetch(&b, l->ln_l, d.ln_l, bml_cuda__bytes(n, sizeof *d.ln_l));
    return bml_cuda__done(&b);
}

/* >> networks: the plan
   Rows go through all layers block by block: `rows` of them (16 or 64) at a time. Every layer's output lies in the
   block's own workspace, [steps][rows][features] floats; room is given out again after the last layer that reads it.
   A product's left side is brought into shared memory as 16-bit numbers (F32, TF32: floats), its right side, the
   weights, lies in the order in which a warp's lanes want it: fragment after fragment, 32 pairs of registers each.
   The weights are not kept in shared memory from step to step. The published GRU (7 layers of 184, six steps) has 16 MB
   of them to read for 64 rows, 2 GB for 8,192: 0.4 ms at some 5 TB/s of an H100's second-level cache, where all 2.8 MB
   of weights stay, a tenth of the time that 2e6 spectra/s leave. A layer's 0.4 MB do not fit the 227 KB of a
   multiprocessor: keeping them would tie two or more together for each layer, to save a part of those 0.4 ms. */

enum { BML_CUDA__MAX_OPS = 256 };

typedef struct bml_cuda__op {
    int kind;
    int in_steps;
    int in;
    int steps;
    int out;
    int units;
    int gates;
    int activation;
    int sequence;
    int directions;
    int reset_before;
    int n_from;
    float slope;
    int k_in;                        /* depth of the product by the input, a multiple of 16 */
    int k_state;                     /* and by the state */
    ptrdiff_t from[BML_NN_MAX_FROM]; /* floats into the workspace */
    ptrdiff_t to;
    ptrdiff_t state; /* likewise: [2][rows][units]; then LSTM's c, or z and r h of a GRU that resets before */
    int from_width[BML_NN_MAX_FROM];
    ptrdiff_t weights[2];   /* of each direction: 32-bit words into the net's memory */
    ptrdiff_t bias[2];      /* floats likewise */
    ptrdiff_t input_offset; /* INPUT: where in the row */
} bml_cuda__op;

/* The same net for blocks of so many rows. */
typedef struct bml_cuda__way {
    int rows;
    unsigned blocks;
    size_t shared;  /* bytes of the tile */
    ptrdiff_t room; /* floats of a block's workspace */
    void *ops;      /* device */
} bml_cuda__way;

struct bml_cuda_net {
    bml_cuda *cuda;
    int n_ops;
    int precision;
    int width; /* of the shared tile, numbers a row */
    ptrdiff_t n_in;
    ptrdiff_t n_out;
    ptrdiff_t in_scaler;  /* where the scalers are in floats */
    int n_ways;           /* one, or two: 64 rows, and 16 for batches that leave multiprocessors idle */
    bml_cuda__way way[2]; /* weights do not depend on it */
    void *words;
    void *floats;
    void *workspace; /* device */
};

typedef struct bml_cuda__plan { /* on the host, while a net is made */
    const bml_nn *net;
    bml_cuda__op ops[BML_CUDA__MAX_OPS];
    int precision;
    int rows;
    int width;
    ptrdiff_t scaler;
    uint32_t *words;
    float *floats;
    ptrdiff_t n_words;
    ptrdiff_t n_floats;
    ptrdiff_t room; /* counted first (words and floats NULL), filled then */
    ptrdiff_t busy_from[BML_CUDA__MAX_OPS];
    ptrdiff_t busy_size[BML_CUDA__MAX_OPS];
    int last_use[BML_CUDA__MAX_OPS];
} bml_cuda__plan;

static int bml_cuda__up(int n, int to) {
    return (n + to - 1) / to * to;
}

/* Adds n floats of `from` (NULL: zeros). */
static ptrdiff_t bml_cuda__add_floats(bml_cuda__plan *p, const float *from, ptrdiff_t n) {
    ptrdiff_t at = p->n_floats;
    for (ptrdiff_t i = 0; p->floats && i < n; i++)
        p->floats[at + i] = from ? from[i] : 0;
    p->n_floats += n;
    return at;
}

/* Whether numbers stay 32 bits wide. */
static __host__ __device__ constexpr int bml_cuda__is_wide(int precision) {
    return precision == BML_CUDA_F32 || precision == BML_CUDA_TF32;
}

/* Words of a matrix [depth][gates][units] as the kernel wants it. */
static __host__ __device__ ptrdiff_t bml_cuda__matrix_words(int precision, int deep, int gates, int n_units8) {
    return (ptrdiff_t)deep * (n_units8 * gates) * (bml_cuda__is_wide(precision) ? 8 : 4);
}

/* Where word `at` of such a matrix comes from. F32: [depth][gates][units]; else fragments [units/8][gates][depth/16]
   [32][2], TF32: [depth/8]. */
static void bml_cuda__locate(int *k, int *gate, int *unit, ptrdiff_t at, int precision, ptrdiff_t deep, ptrdiff_t gates,
                             ptrdiff_t wide) {
    ptrdiff_t reg = at % 2;
    ptrdiff_t lane = at / 2 % 32;
    ptrdiff_t rest = at / 64;
    ptrdiff_t deeps = deep / (precision == BML_CUDA_TF32 ? 8 : 16);
    if (precision == BML_CUDA_F32) {
        *unit = (int)(at % wide);
        *gate = (int)(at / wide % gates);
        *k = (int)(at / wide / gates);
        return;
    }
    if (precision == BML_CUDA_TF32) {
        *k = (int)(rest % deeps * 8 + 4 * reg + lane % 4);
    } else {
        *k = (int)(rest % deeps * 16 + 8 * reg + 2 * (lane % 4));
    }
    *gate = (int)(rest / deeps % gates);
    *unit = (int)(rest / deeps / gates * 8 + lane / 4);
}

/* Adds gates `first` ... first+gates-1 of a matrix [depth][all units], depth and units filled up with zeros. */
static void bml_cuda__add_matrix(bml_cuda__plan *p, const float *w, int depth, int units, int all, int first,
                                 int gates) {
    int deep = bml_cuda__up(depth, 16);
    int wide = bml_cuda__up(units, 8);
    ptrdiff_t count = bml_cuda__matrix_words(p->precision, deep, gates, wide / 8);
    uint32_t *to = p->words + p->n_words;
    p->n_words += count;
    for (ptrdiff_t at = 0; p->words && at < count; at++) {
        int k;
        int gate;
        int unit;
        float pair[2] = {0, 0};
        bml_cuda__locate(&k, &gate, &unit, at, p->precision, deep, gates, wide);
        for (int i = 0; i < 2; i++)
            if (k + i < depth && unit < units) {
                pair[i] = w[(ptrdiff_t)(k + i) * (all * units) + (ptrdiff_t)((first + gate) * units + unit)];
            }
        if (p->precision == BML_CUDA_TF32) {
            pair[0] = bml_cuda__to_tf32(pair[0]);
        }
        if (bml_cuda__is_wide(p->precision)) {
            memcpy(to + at, pair, 4);
        } else {
            to[at] = bml_cuda__pack(pair[0], pair[1], p->precision == BML_CUDA_BF16);
        }
    }
}

/* Room for a layer's output (or state) between the outputs that are still wanted: the lowest gap that is large
   enough. */
static ptrdiff_t bml_cuda__place(bml_cuda__plan *p, int i, ptrdiff_t size) {
    ptrdiff_t at = 0;
    for (int moved = 1; moved;) {
        moved = 0;
        for (int k = 0; k < i; k++)
            if (p->last_use[k] >= i && p->busy_from[k] < at + size && at < p->busy_from[k] + p->busy_size[k]) {
                at = p->busy_from[k] + p->busy_size[k];
                moved = 1;
            }
    }
    p->busy_from[i] = at;
    p->busy_size[i] = size;
    if (at + size > p->room) {
        p->room = at + size;
    }
    return at;
}

/* What bml_nn.h can and the device cannot: other biases, padded rows. NULL: nothing. */
static const char *bml_cuda__beyond(const bml_nn__node *n) {
    if (n->spec.no_bias || n->spec.two_biases) {
        return "no_bias and two_biases run on the CPU only";
    }
    return n->lengths >= 0 ? "lengths of rows run on the CPU only" : NULL;
}

static int bml_cuda__refuse_layer(bml_cuda *cuda, const bml_nn *net, int i, const char *why) {
    return bml_cuda__fail(cuda, BML_CUDA_BAD_MODEL, "layer %d (%s): %s", i, net->nodes[i].name, why);
}

/* Weights and biases of a recurrent layer: products by the input, then by the state; a GRU has biases [2][3 units], or,
   where it resets before the product, [3 units], and its first two gates apart from the third. */
static void bml_cuda__add_recurrent(bml_cuda__plan *p, int i) {
    bml_cuda__op *op = &p->ops[i];
    int together = op->reset_before ? 2 : op->gates;
    int rows = op->kind == BML_NN_GRU && !op->reset_before ? 2 : 1;
    for (int d = 0; d < op->directions; d++) {
        const float *w = bml_nn__param(p->net, i, 3 * d);
        const float *r = bml_nn__param(p->net, i, 3 * d + 1);
        op->weights[d] = p->n_words;
        for (int gate = 0; gate < op->gates; gate += together) {
            int gates = BML_CUDA__MIN(together, op->gates - gate);
            bml_cuda__add_matrix(p, w, op->in, op->units, op->gates, gate, gates);
            bml_cuda__add_matrix(p, r, op->units, op->units, op->gates, gate, gates);
        }
        op->bias[d] = bml_cuda__add_floats(p, bml_nn__param(p->net, i, 3 * d + 2), op->units * op->gates * rows);
    }
}

/* Scale and shift of a normalisation: batch norm's running means are known, layer norm has gamma and beta. */
static void bml_cuda__add_norm(bml_cuda__plan *p, int i) {
    const float *gamma = bml_nn__param(p->net, i, 0);
    const float *beta = bml_nn__param(p->net, i, 1);
    ptrdiff_t n = p->ops[i].out;
    ptrdiff_t at;
    p->ops[i].bias[0] = at = bml_cuda__add_floats(p, gamma, n);
    bml_cuda__add_floats(p, beta, n);
    if (p->ops[i].kind == BML_NN_LAYER_NORM || !p->floats) return;
    for (ptrdiff_t k = 0; k < n; k++) {
        const bml_nn__tensor *t = p->net->tensors + p->net->nodes[i].tensor;
        double mean = (double)p->net->running[t[2].offset + k];
        double variance = (double)p->net->running[t[3].offset + k];
        double scale = (double)gamma[k] / sqrt(variance + p->net->nodes[i].spec.epsilon);
        p->floats[at + k] = (float)scale;
        p->floats[at + n + k] = (float)((double)beta[k] - mean * scale);
    }
}

static __host__ __device__ int bml_cuda__is_recurrent(int kind) {
    return kind == BML_NN_GRU || kind == BML_NN_LSTM || kind == BML_NN_RNN;
}

/* Layer i as an operation; memory for its output. */
static int bml_cuda__plan_layer(bml_cuda__plan *p, int i, bml_cuda *cuda) {
    const bml_nn__node *n = &p->net->nodes[i];
    bml_cuda__op *op = &p->ops[i];
    ptrdiff_t rows = p->rows;
    ptrdiff_t states = 0;
    int kind = n->spec.kind;
    op->kind = kind == BML_NN_BAYES ? BML_NN_DENSE : kind;
    op->in_steps = n->in_steps;
    op->in = n->in;
    op->steps = n->steps;
    op->out = n->out;
    op->units = n->spec.units;
    op->activation = n->spec.activation;
    op->sequence = n->spec.sequence;
    op->slope = (float)n->spec.slope;
    op->n_from = n->n_from;
    op->input_offset = n->input_offset;
    op->directions = 1;
    op->gates = bml_nn__gates(&n->spec);
    op->reset_before = n->spec.reset_before;
    double steps = BML_CUDA__MAX(n->steps, n->in_steps);
    double width = BML_CUDA__MAX(n->out, n->in);
    if (steps * p->rows * width > 2e9) {
        return BML_CUDA_TOO_LARGE; /* cells are counted by int */
    }
    if (kind == BML_NN_CONV || kind == BML_NN_POOL)
        return bml_cuda__refuse_layer(cuda, p->net, i, "this kind runs on the CPU only");
    if (bml_cuda__beyond(n)) {
        return bml_cuda__refuse_layer(cuda, p->net, i, bml_cuda__beyond(n));
    }
    op->k_in = bml_cuda__up(op->in, 16);
    if (bml_cuda__is_recurrent(kind)) {
        op->directions = n->spec.bidirectional ? 2 : 1;
        op->k_state = bml_cuda__up(op->units, 16);
        int kept = op->reset_before ? 4 : 2;
        if (kind == BML_NN_LSTM) {
            kept = 3;
        }
        states = rows * op->units * kept;
        bml_cuda__add_recurrent(p, i);
    } else if (op->kind == BML_NN_DENSE) {
        op->weights[0] = p->n_words;
        bml_cuda__add_matrix(p, bml_nn__param(p->net, i, 0), op->in, op->units, 1, 0, 1);
        op->bias[0] = bml_cuda__add_floats(p, bml_nn__param(p->net, i, 1), op->units);
    } else if (kind == BML_NN_BATCH_NORM || kind == BML_NN_LAYER_NORM) {
        bml_cuda__add_norm(p, i);
    }
    if (op->k_state || op->kind == BML_NN_DENSE) {
        p->width = BML_CUDA__MAX(p->width, op->k_in + op->k_state);
    }
    for (int k = 0; k < n->n_from; k++) {
        op->from[k] = p->ops[n->from[k]].to;
        op->from_width[k] = p->net->nodes[n->from[k]].out;
    }
    op->to = bml_cuda__place(p, i, rows * op->steps * op->out + states);
    op->state = op->to + rows * op->steps * op->out;
    return BML_CUDA_OK;
}

static int bml_cuda__plan_net(bml_cuda__plan *p, bml_cuda *cuda) {
    int status = BML_CUDA_OK;
    p->n_words = p->n_floats = p->room = 0;
    p->width = 0;
    for (int i = 0; i < p->net->n_nodes; i++) {
        p->last_use[i] = i;
        for (int k = 0; k < p->net->nodes[i].n_from; k++)
            p->last_use[p->net->nodes[i].from[k]] = i;
    }
    for (int i = 0; i < p->net->n_nodes && !status; i++)
        status = bml_cuda__plan_layer(p, i, cuda);
    p->scaler = p->n_floats;
    for (int which = 0; which < 2; which++) { /* last of all: shift and scale of inputs, and of outputs */
        ptrdiff_t n = which ? p->net->n_out : p->net->n_in;
        bml_cuda__add_floats(p, p->net->shift[which], n);
        for (ptrdiff_t k = 0; k < n; k++) {
            float one = 1;
            bml_cuda__add_floats(p, p->net->scale[which] ? p->net->scale[which] + k : &one, 1);
        }
    }
    return status;
}

/* >> networks: the kernel */

typedef struct bml_cuda__run {
    const bml_cuda__op *ops;
    const uint32_t *words;
    const float *floats;
    const float *x;
    float *y;
    float *workspace;
    ptrdiff_t n;
    ptrdiff_t room;
    ptrdiff_t n_in;
    ptrdiff_t n_out;
    ptrdiff_t in_scaler;
    ptrdiff_t out_scaler; /* scalers: shift, then scale, in floats */
    int n_ops;
    int width;
    int precision;
} bml_cuda__run;

/* Numbers of 32 bits in a row of the tile: 4 more than a multiple of 8, so that a fragment's rows fall on different
   banks. */
static __host__ __device__ int bml_cuda__stride(int precision, int width) {
    return (bml_cuda__is_wide(precision) ? width : width / 2) + 4;
}

/* Columns from ... from+deep-1 of the tile = source[rows][width] (NULL: zeros), filled up with zeros; a warp a row. */
static __device__ __noinline__ void bml_cuda__fill(int precision, int stride, int from, int deep, const float *at,
                                                   int width, int rows) {
    BML_CUDA__DYNAMIC(uint32_t, tile);
    const float *source = at ? bml_cuda__global(at) : NULL;
    int warp = (int)threadIdx.x / 32;
    int lane = (int)threadIdx.x % 32;
    for (int row = warp; row < rows; row += BML_CUDA__WARPS) {
        const float *s = source ? source + (ptrdiff_t)row * width : NULL;
        if (bml_cuda__is_wide(precision)) {
            for (int k = lane; k < deep; k += 32) {
                float v = s && k < width ? s[k] : 0;
                if (precision == BML_CUDA_TF32) {
                    v = bml_cuda__to_tf32(v);
                }
                memcpy(tile + row * stride + from + k, &v, 4);
            }
        } else {
            for (int k = 2 * lane; k < deep; k += 64) {
                float low = s && k < width ? s[k] : 0;
                float high = s && k + 1 < width ? s[k + 1] : 0;
                tile[row * stride + (from + k) / 2] = bml_cuda__pack(low, high, precision == BML_CUDA_BF16);
            }
        }
    }
}

/* Whose sum a lane has in acc[m][i]. */
static __device__ __forceinline__ int bml_cuda__row_of(int m, int i) {
    int lane = (int)threadIdx.x % 32;
    return 16 * m + lane / 4 + i / 2 * 8;
}
static __device__ __forceinline__ int bml_cuda__unit_of(int u8, int i) {
    int lane = (int)threadIdx.x % 32;
    return 8 * u8 + lane % 4 * 2 + i % 2;
}

/* The sums of the next 16 rows to the front, so that what is done with sums is laid out once and not MT times: an index
   into registers must be known to the compiler. */
template <int SLOTS, int MT> static __device__ __forceinline__ void bml_cuda__next_rows(float (*acc)[MT][4]) {
    BML_CUDA__UNROLL
    for (int i = 0; i < SLOTS * 4; i++) {
        BML_CUDA__UNROLL
        for (int m = 0; m + 1 < MT; m++)
            acc[i / 4][m][i % 4] = acc[i / 4][m + 1][i % 4];
    }
}

/* acc[slot][MT][4] += tile[rows][from ... from+deep) times the weights of 8 units, for all gates; the warp together.
   The part of a GRU's third gate that comes from the state has a slot of its own. Without tensor cores: */
template <int MT, int GATES, int STATE>
static __device__ __forceinline__ void bml_cuda__product_f32(float (*acc)[MT][4], const uint32_t *tile, int stride,
                                                             int from, int deep, const uint32_t *w, int units8,
                                                             int n_units8) {
    int lane = (int)threadIdx.x % 32;
    int g = lane / 4;
    int t = lane % 4;
    for (int k = 0; k < deep; k++) {
        BML_CUDA__UNROLL
        for (int gate = 0; gate < GATES; gate++) {
            const int slot = STATE && GATES == 3 && gate == 2 ? 3 : gate;
            float b[2];
            float a[2];
            memcpy(b, w + ((ptrdiff_t)(k * GATES + gate) * n_units8 + units8) * 8 + 2 * t, 8);
            BML_CUDA__UNROLL
            for (int m = 0; m < MT; m++) {
                memcpy(a, tile + (16 * m + g) * stride + from + k, 4);
                memcpy(a + 1, tile + (16 * m + g + 8) * stride + from + k, 4);
                acc[slot][m][0] += a[0] * b[0];
                acc[slot][m][1] += a[0] * b[1];
                acc[slot][m][2] += a[1] * b[0];
                acc[slot][m][3] += a[1] * b[1];
            }
        }
    }
}

/* With them: a fragment of the tile is 8 words a row, of 16 numbers (TF32: 8), in both of its layouts. */
template <int PRECISION, int MT, int GATES, int STATE>
static __device__ __forceinline__ void bml_cuda__product_of(float (*acc)[MT][4], const uint32_t *tile, int stride,
                                                            int from, int deep, const uint32_t *w, int units8) {
    const int tf32 = PRECISION == BML_CUDA_TF32;
    const int fragments = deep / (tf32 ? 8 : 16);
    int lane = (int)threadIdx.x % 32;
    int g = lane / 4;
    int t = lane % 4;
    w += ((ptrdiff_t)units8 * GATES * fragments * 32 + lane) * 2;
    for (int k = 0; k < fragments; k++) {
        uint32_t a[MT][4];
        uint32_t b[2];
        BML_CUDA__UNROLL
        for (int m = 0; m < MT; m++) {
            const uint32_t *at = tile + (16 * m + g) * stride + (tf32 ? from : from / 2) + 8 * k + t;
            a[m][0] = at[0];
            a[m][1] = at[8 * stride];
            a[m][2] = at[4];
            a[m][3] = at[8 * stride + 4];
        }
        BML_CUDA__UNROLL
        for (int gate = 0; gate < GATES; gate++) {
            const int slot = STATE && GATES == 3 && gate == 2 ? 3 : gate;
            const uint32_t *from_w = w + (ptrdiff_t)(gate * fragments + k) * 64;
            b[0] = from_w[0];
            b[1] = from_w[1];
            BML_CUDA__UNROLL
            for (int m = 0; m < MT; m++)
                if (tf32) {
                    bml_cuda__mma_tf32(acc[slot][m], a[m], b);
                } else {
                    bml_cuda__mma(acc[slot][m], a[m], b, PRECISION == BML_CUDA_BF16);
                }
        }
    }
}

template <int MT, int GATES, int STATE>
static __device__ __forceinline__ void bml_cuda__product(float (*acc)[MT][4], int precision, const uint32_t *tile,
                                                         int stride, int from, int deep, const uint32_t *w, int units8,
                                                         int n_units8) {
    if (precision == BML_CUDA_F16) {
        bml_cuda__product_of<BML_CUDA_F16, MT, GATES, STATE>(acc, tile, stride, from, deep, w, units8);
    } else if (precision == BML_CUDA_BF16) {
        bml_cuda__product_of<BML_CUDA_BF16, MT, GATES, STATE>(acc, tile, stride, from, deep, w, units8);
    } else if (precision == BML_CUDA_TF32) {
        bml_cuda__product_of<BML_CUDA_TF32, MT, GATES, STATE>(acc, tile, stride, from, deep, w, units8);
    } else {
        bml_cuda__product_f32<MT, GATES, STATE>(acc, tile, stride, from, deep, w, units8, n_units8);
    }
}

static __device__ float bml_cuda__logistic(float x) {
    return bml_cuda__fast_reciprocal(1 + expf(-x));
}

/* Called, not laid out: these are long, and seldom taken. */
static __device__ __noinline__ float bml_cuda__seldom_act(float x, int activation) {
    if (activation == BML_NN_SOFTPLUS) {
        return (x > 0 ? x : 0) + log1pf(expf(-fabsf(x)));
    }
    return x / 2 * (1 + erff(x * 0.707106781f)); /* GELU */
}

static __device__ float bml_cuda__act(float x, int activation, float slope) {
    switch (activation) {
    case BML_NN_RELU: return x < 0 ? 0 : x;
    case BML_NN_LEAKY_RELU: return x > 0 ? x : slope * x;
    case BML_NN_TANH: return tanhf(x);
    case BML_NN_SIGMOID: return bml_cuda__logistic(x);
    case BML_NN_SILU: return x * bml_cuda__logistic(x);
    case BML_NN_SOFTPLUS:
    case BML_NN_GELU: return bml_cuda__seldom_act(x, activation);
    case BML_NN_HARDTANH:
        if (x < -1) {
            return -1;
        }
        return x > 1 ? 1 : x;
    default: return x; /* linear; softmax is done row by row afterwards */
    }
}

static __device__ void bml_cuda__softmax(float *out, int width, int rows) {
    BML_CUDA__EACH(row, rows) {
        float *z = out + (ptrdiff_t)row * width;
        float top = z[0];
        float sum = 0;
        for (int k = 1; k < width; k++)
            top = z[k] > top ? z[k] : top;
        for (int k = 0; k < width; k++) {
            z[k] = expf(z[k] - top);
            sum += z[k];
        }
        for (int k = 0; k < width; k++)
            z[k] /= sum;
    }
}

template <int MT>
static __device__ __noinline__ void bml_cuda__dense(const bml_cuda__op *at, const bml_cuda__run &r, float *in) {
    BML_CUDA__DYNAMIC(uint32_t, tile);
    const bml_cuda__op &op = *bml_cuda__global(at);
    const uint32_t *words = bml_cuda__global(r.words);
    const float *floats = bml_cuda__global(r.floats);
    float *room = bml_cuda__global(in);
    const int precision = r.precision;
    const int stride = bml_cuda__stride(precision, r.width);
    const int rows = 16 * MT;
    const int warp = (int)threadIdx.x / 32;
    const int n8 = (op.units + 7) / 8;
    const float *bias = floats + op.bias[0];
    for (int step = 0; step < op.steps; step++) {
        float *out = room + op.to + (ptrdiff_t)(step * rows) * op.out;
        bml_cuda__fill(precision, stride, 0, op.k_in, room + op.from[0] + (ptrdiff_t)(step * rows) * op.in, op.in,
                       rows);
        __syncthreads();
        for (int u8 = warp; u8 < n8; u8 += BML_CUDA__WARPS) {
            float acc[1][MT][4] = {};
            bml_cuda__product<MT, 1, 0>(acc, precision, tile, stride, 0, op.k_in, words + op.weights[0], u8, n8);
            BML_CUDA__ROLLED
            for (int m = 0; m < MT; m++) {
                BML_CUDA__UNROLL
                for (int i = 0; i < 4; i++) {
                    int row = bml_cuda__row_of(m, i);
                    int unit = bml_cuda__unit_of(u8, i);
                    if (unit < op.units) {
                        out[(ptrdiff_t)row * op.out + unit] =
                            bml_cuda__act(acc[0][0][i] + bias[unit], op.activation, op.slope);
                    }
                }
                bml_cuda__next_rows<1, MT>(acc);
            }
        }
        __syncthreads();
        if (op.activation == BML_NN_SOFTMAX) {
            bml_cuda__softmax(out, op.out, rows);
        }
        __syncthreads();
    }
}

/* The new state of one unit of one row, from the sums of its gates; *c: LSTM's cell. One gate: plain RNN. */
template <int GATES>
static __device__ __forceinline__ float bml_cuda__cell(const float *z, float before, float *c, const float *bias,
                                                       int unit, int units, int activation) {
    if (GATES == 1) {
        float x = z[0] + bias[unit];
        if (activation != BML_NN_RELU) {
            return tanhf(x);
        }
        return x < 0 ? 0 : x;
    } else if (GATES == 3) {
        const float *more = bias + 3 * units;
        float update = bml_cuda__logistic(z[0] + bias[unit] + more[unit]);
        float reset = bml_cuda__logistic(z[1] + bias[units + unit] + more[units + unit]);
        float fresh = tanhf(z[2] + bias[2 * units + unit] + reset * (z[3] + more[2 * units + unit]));
        return fresh + update * (before - fresh);
    } else {
        float in = bml_cuda__logistic(z[0] + bias[unit]);
        float forget = bml_cuda__logistic(z[1] + bias[units + unit]);
        float fresh = tanhf(z[2] + bias[2 * units + unit]);
        float out = bml_cuda__logistic(z[3] + bias[3 * units + unit]);
        *c = forget * *c + in * fresh;
        return out * tanhf(*c);
    }
}

/* What step s of a recurrent layer reads and writes; d = 1: backwards in time. */
typedef struct bml_cuda__instant {
    const float *x;
    const float *before; /* the state, */
    float *after;        /* and the new one */
    float *out;
    int keep; /* this step's state is given out */
} bml_cuda__instant;

static __device__ __forceinline__ bml_cuda__instant bml_cuda__instant_of(const bml_cuda__op &op, float *room, int rows,
                                                                         int s, int d) {
    bml_cuda__instant now;
    int last = op.in_steps - 1;
    int t = d ? last - s : s;
    ptrdiff_t row = (ptrdiff_t)t * rows; /* the first of this step */
    ptrdiff_t cells = (ptrdiff_t)rows * op.units;
    float *state = room + op.state;
    int odd = s & 1;
    now.x = room + op.from[0] + row * op.in;
    now.before = state + odd * cells;
    now.after = state + (1 - odd) * cells;
    now.out = room + op.to + d * op.units;
    now.keep = s == last;
    if (op.sequence) {
        now.out += row * op.out;
        now.keep = 1;
    }
    return now;
}

/* [x_t, h] into the tile. */
static __device__ __forceinline__ void bml_cuda__fill_step(int precision, int stride, const bml_cuda__op &op,
                                                           const bml_cuda__instant &now, int rows, int first) {
    const float *state = first ? NULL : now.before;
    bml_cuda__fill(precision, stride, 0, op.k_in, now.x, op.in, rows);
    bml_cuda__fill(precision, stride, op.k_in, op.k_state, state, op.units, rows);
}

/* acc[][MT][4] = both products of a step for 8 units, of [x_t] and then, not in the first step, of the state. They are
   laid out once where there are registers enough. */
template <int MT, int GATES>
static __device__ __forceinline__ void bml_cuda__both(float (*acc)[MT][4], int precision, const bml_cuda__op &op,
                                                      const uint32_t *tile, int stride, const uint32_t *w, int u8,
                                                      int n8, int first) {
    const int slots = GATES == 3 ? 4 : GATES;
    const uint32_t *w_state = w + bml_cuda__matrix_words(precision, op.k_in, GATES, n8);
    BML_CUDA__UNROLL
    for (int i = 0; i < slots * MT * 4; i++)
        acc[i / 4 / MT][i / 4 % MT][i % 4] = 0;
    if (GATES >= 3 || MT == 1) {
        bml_cuda__product<MT, GATES, 0>(acc, precision, tile, stride, 0, op.k_in, w, u8, n8);
        if (!first) {
            bml_cuda__product<MT, GATES, 1>(acc, precision, tile, stride, op.k_in, op.k_state, w_state, u8, n8);
        }
    } else {
        BML_CUDA__ROLLED
        for (int state = 0; state < 2 - first; state++) {
            int from = state ? op.k_in : 0;
            int deep = state ? op.k_state : op.k_in;
            const uint32_t *weights = state ? w_state : w;
            bml_cuda__product<MT, GATES, 0>(acc, precision, tile, stride, from, deep, weights, u8, n8);
        }
    }
}

/* A recurrent layer in one direction: step by step [x_t, h] is brought into the tile, and each warp makes whole
   units. */
template <int MT, int GATES>
static __device__ __noinline__ void bml_cuda__recurrent(const bml_cuda__op *from, const bml_cuda__run &r, float *in,
                                                        int d) {
    BML_CUDA__DYNAMIC(uint32_t, tile);
    const bml_cuda__op &op = *bml_cuda__global(from);
    const uint32_t *words = bml_cuda__global(r.words);
    const float *floats = bml_cuda__global(r.floats);
    float *room = bml_cuda__global(in);
    const int precision = r.precision;
    const int stride = bml_cuda__stride(precision, r.width);
    const int rows = 16 * MT;
    const int warp = (int)threadIdx.x / 32;
    const int n8 = (op.units + 7) / 8;
    const int units = op.units;
    const ptrdiff_t cells = (ptrdiff_t)rows * units;
    const uint32_t *w = words + op.weights[d];
    const float *bias = floats + op.bias[d];
    float *state = room + op.state;
    float *cell = state + 2 * cells;
    if (GATES == 4) {
        BML_CUDA__EACH(i, rows * units) {
            cell[i] = 0;
        }
    }
    for (int s = 0; s < op.in_steps; s++) {
        bml_cuda__instant now = bml_cuda__instant_of(op, room, rows, s, d);
        bml_cuda__fill_step(precision, stride, op, now, rows, !s);
        __syncthreads();
        for (int u8 = warp; u8 < n8; u8 += BML_CUDA__WARPS) {
            float acc[4][MT][4] = {};
            bml_cuda__both<MT, GATES>(acc, precision, op, tile, stride, w, u8, n8, !s);
            BML_CUDA__ROLLED
            for (int m = 0; m < MT; m++) {
                BML_CUDA__UNROLL
                for (int i = 0; i < 4; i++) {
                    int row = bml_cuda__row_of(m, i);
                    int unit = bml_cuda__unit_of(u8, i);
                    ptrdiff_t at = (ptrdiff_t)row * units + unit;
                    float z[4];
                    if (unit >= units) continue;
                    BML_CUDA__UNROLL
                    for (int gate = 0; gate < 4; gate++)
                        z[gate] = acc[gate][0][i];
                    float before = s ? now.before[at] : 0;
                    float h = bml_cuda__cell<GATES>(z, before, cell + at, bias, unit, units, op.activation);
                    now.after[at] = h;
                    if (now.keep) {
                        now.out[(ptrdiff_t)row * op.out + unit] = h;
                    }
                }
                bml_cuda__next_rows<GATES == 3 ? 4 : GATES, MT>(acc);
            }
        }
        __syncthreads();
    }
}

/* z and kept = r h of 8 units, for all rows; before: h, or NULL in the first step. */
template <int MT>
static __device__ __forceinline__ void bml_cuda__gru_gates(float (*acc)[MT][4], float *z, float *kept,
                                                           const float *before, const float *bias, int u8, int units) {
    BML_CUDA__ROLLED
    for (int m = 0; m < MT; m++) {
        BML_CUDA__UNROLL
        for (int i = 0; i < 4; i++) {
            int row = bml_cuda__row_of(m, i);
            int unit = bml_cuda__unit_of(u8, i);
            ptrdiff_t at = (ptrdiff_t)row * units + unit;
            if (unit >= units) continue;
            z[at] = bml_cuda__logistic(acc[0][0][i] + bias[unit]);
            kept[at] = 0;
            if (before) {
                float reset = bml_cuda__logistic(acc[1][0][i] + bias[units + unit]);
                kept[at] = reset * before[at];
            }
        }
        bml_cuda__next_rows<2, MT>(acc);
    }
}

/* And the new state of them. */
template <int MT>
static __device__ __forceinline__ void bml_cuda__gru_state(float (*acc)[MT][4], const bml_cuda__op &op,
                                                           const bml_cuda__instant &now, const float *z,
                                                           const float *before, const float *bias, int u8) {
    const int units = op.units;
    BML_CUDA__ROLLED
    for (int m = 0; m < MT; m++) {
        BML_CUDA__UNROLL
        for (int i = 0; i < 4; i++) {
            int row = bml_cuda__row_of(m, i);
            int unit = bml_cuda__unit_of(u8, i);
            ptrdiff_t at = (ptrdiff_t)row * units + unit;
            if (unit >= units) continue;
            float fresh = tanhf(acc[0][0][i] + bias[2 * units + unit]);
            float old = before ? before[at] : 0;
            float h = fresh + z[at] * (old - fresh);
            now.after[at] = h;
            if (now.keep) {
                now.out[(ptrdiff_t)row * op.out + unit] = h;
            }
        }
        bml_cuda__next_rows<1, MT>(acc);
    }
}

/* A GRU that resets before the product: z and r h of all units first, which then stand where h stood in the tile. */
template <int MT>
static __device__ __noinline__ void bml_cuda__gru_before(const bml_cuda__op *from, const bml_cuda__run &r, float *in,
                                                         int d) {
    BML_CUDA__DYNAMIC(uint32_t, tile);
    const bml_cuda__op &op = *bml_cuda__global(from);
    const uint32_t *words = bml_cuda__global(r.words);
    const float *floats = bml_cuda__global(r.floats);
    float *room = bml_cuda__global(in);
    const int precision = r.precision;
    const int stride = bml_cuda__stride(precision, r.width);
    const int rows = 16 * MT;
    const int warp = (int)threadIdx.x / 32;
    const int n8 = (op.units + 7) / 8;
    const int units = op.units;
    const ptrdiff_t cells = (ptrdiff_t)rows * units;
    const uint32_t *w = words + op.weights[d];
    const uint32_t *w_third = w + bml_cuda__matrix_words(precision, op.k_in + op.k_state, 2, n8);
    const float *bias = floats + op.bias[d];
    float *state = room + op.state;
    float *z = state + 2 * cells;
    float *kept = z + cells;
    for (int s = 0; s < op.in_steps; s++) {
        bml_cuda__instant now = bml_cuda__instant_of(op, room, rows, s, d);
        bml_cuda__fill_step(precision, stride, op, now, rows, !s);
        __syncthreads();
        for (int u8 = warp; u8 < n8; u8 += BML_CUDA__WARPS) {
            float acc[2][MT][4];
            bml_cuda__both<MT, 2>(acc, precision, op, tile, stride, w, u8, n8, !s);
            bml_cuda__gru_gates<MT>(acc, z, kept, s ? now.before : NULL, bias, u8, units);
        }
        __syncthreads();
        bml_cuda__fill(precision, stride, op.k_in, op.k_state, kept, units, rows);
        __syncthreads();
        for (int u8 = warp; u8 < n8; u8 += BML_CUDA__WARPS) {
            float acc[1][MT][4];
            bml_cuda__both<MT, 1>(acc, precision, op, tile, stride, w_third, u8, n8, !s);
            bml_cuda__gru_state<MT>(acc, op, now, z, s ? now.before : NULL, bias, u8);
        }
        __syncthreads();
    }
}

/* Each row of each step by itself. */
static __device__ void bml_cuda__layer_norm(float *y, const float *x, const float *scale, const float *shift, int rows,
                                            int width) {
    BML_CUDA__EACH(row, rows) {
        const float *from = x + (ptrdiff_t)row * width;
        float *to = y + (ptrdiff_t)row * width;
        float mean = 0;
        float variance = 0;
        for (int k = 0; k < width; k++)
            mean += from[k];
        mean /= (float)width;
        for (int k = 0; k < width; k++)
            variance += (from[k] - mean) * (from[k] - mean);
        float inverse = 1 / sqrtf(variance / (float)width + 1e-5f);
        for (int k = 0; k < width; k++)
            to[k] = (from[k] - mean) * inverse * scale[k] + shift[k];
    }
}

/* Flatten and reshape: a row's numbers stay in order, from [in_steps][rows][in] to [steps][rows][out]. */
static __device__ void bml_cuda__reshape(float *y, const float *x, const bml_cuda__op &op, int rows) {
    int all = op.in_steps * op.in;
    BML_CUDA__EACH(at, rows * all) {
        int row = at / all;
        int j = at % all;
        y[(j / op.out * rows + row) * op.out + j % op.out] = x[(j / op.in * rows + row) * op.in + j % op.in];
    }
}

static __device__ void bml_cuda__copy_all(float *y, const float *x, int n) {
    BML_CUDA__EACH(at, n) {
        y[at] = x[at];
    }
}

/* Layers without weights, or with one a feature. */
static __device__ __noinline__ void bml_cuda__plain(const bml_cuda__op *from, const bml_cuda__run &r, float *in,
                                                    int rows) {
    const bml_cuda__op &op = *bml_cuda__global(from);
    float *room = bml_cuda__global(in);
    const float *x = room + op.from[0];
    const float *scale = bml_cuda__global(r.floats) + op.bias[0];
    const float *shift = scale + op.out;
    float *y = room + op.to;
    int column = 0;
    int all = op.steps * rows;
    switch (op.kind) {
    case BML_NN_CONCAT:
        for (int f = 0; f < op.n_from; column += op.from_width[f++]) {
            int w = op.from_width[f];
            BML_CUDA__EACH(at, all * w) {
                y[at / w * op.out + column + at % w] = room[op.from[f] + at];
            }
        }
        break;
    case BML_NN_FLATTEN:
    case BML_NN_RESHAPE: bml_cuda__reshape(y, x, op, rows); break;
    case BML_NN_LAYER_NORM: bml_cuda__layer_norm(y, x, scale, shift, all, op.out); break;
    case BML_NN_BATCH_NORM: {
        BML_CUDA__EACH(at, all * op.out) {
            y[at] = x[at] * scale[at % op.out] + shift[at % op.out];
        }
        break;
    }
    case BML_NN_ADD: {
        BML_CUDA__EACH(at, all * op.out) {
            float sum = x[at];
            for (int f = 1; f < op.n_from; f++)
                sum += room[op.from[f] + at];
            y[at] = sum;
        }
        break;
    }
    default: /* dropout */ bml_cuda__copy_all(y, x, all * op.out);
    }
    __syncthreads();
}

/* Between rows of the caller, `first` on, and [steps][rows][features]; rows beyond n are zeros, and stay inside. */
static __device__ void bml_cuda__read_rows(const bml_cuda__op &op, const bml_cuda__run &r, float *room, int rows,
                                           ptrdiff_t first) {
    const float *shift = r.floats + r.in_scaler;
    const float *scale = shift + r.n_in;
    BML_CUDA__EACH(at, op.steps * rows * op.out) {
        ptrdiff_t row = first + at / op.out % rows;
        ptrdiff_t column = op.input_offset;
        column += at / op.out / rows * op.out + at % op.out;
        room[op.to + at] = row < r.n ? (r.x[row * r.n_in + column] - shift[column]) / scale[column] : 0;
    }
    __syncthreads();
}
static __device__ void bml_cuda__write_rows(const bml_cuda__op &op, const bml_cuda__run &r, const float *room, int rows,
                                            ptrdiff_t first) {
    const float *shift = r.floats + r.out_scaler;
    const float *scale = shift + r.n_out;
    BML_CUDA__EACH(at, op.steps * rows * op.out) {
        ptrdiff_t row = first + at / op.out % rows;
        ptrdiff_t column = at / op.out / rows * op.out + at % op.out;
        if (row < r.n) {
            r.y[row * r.n_out + column] = room[op.to + at] * scale[column] + shift[column];
        }
    }
    __syncthreads();
}

template <int MT>
static __global__ void __launch_bounds__(BML_CUDA__THREADS, MT == 1 ? 2 : 1)
    bml_cuda__net_kernel(const __grid_constant__ bml_cuda__run r) {
    float *room = r.workspace + (ptrdiff_t)blockIdx.x * r.room;
    const int rows = 16 * MT;
    for (ptrdiff_t first = (ptrdiff_t)blockIdx.x * rows; first < r.n; first += (ptrdiff_t)gridDim.x * rows) {
        for (int i = 0; i < r.n_ops; i++) {
            const bml_cuda__op &op = r.ops[i];
            if (op.kind == BML_NN_INPUT) {
                bml_cuda__read_rows(op, r, room, rows, first);
            } else if (op.kind == BML_NN_DENSE) {
                bml_cuda__dense<MT>(&op, r, room);
            } else if (bml_cuda__is_recurrent(op.kind)) {
                for (int d = 0; d < op.directions; d++) {
                    if (op.reset_before) {
                        bml_cuda__gru_before<MT>(&op, r, room, d);
                    } else if (op.gates == 3) {
                        bml_cuda__recurrent<MT, 3>(&op, r, room, d);
                    } else if (op.gates == 4) {
                        bml_cuda__recurrent<MT, 4>(&op, r, room, d);
                    } else {
                        bml_cuda__recurrent<MT, 1>(&op, r, room, d);
                    }
                }
            } else {
                bml_cuda__plain(&op, r, room, rows);
            }
        }
        bml_cuda__write_rows(r.ops[r.n_ops - 1], r, room, rows, first);
    }
}

/* >> networks: the host's side */

/* The kernels: rows/16. */
#define BML_CUDA__NET_KERNELS(X) X(1) X(4)

static int bml_cuda__net_blocks(bml_cuda_net *s, bml_cuda__way *way) {
    int status = BML_CUDA_BAD_ARGUMENT;
#define BML_CUDA__CASE(mt)                                                                      \
    if (way->rows == 16 * mt) {                                                                 \
        status = bml_cuda__allow_shared(s->cuda, bml_cuda__net_kernel<mt>);                     \
        way->blocks = bml_cuda__grid(s->cuda, bml_cuda__net_kernel<mt>, way->shared, 1u << 16); \
    }
    BML_CUDA__NET_KERNELS(BML_CUDA__CASE)
#undef BML_CUDA__CASE
    return status;
}

/* The operations of one way; with the first, what all share. */
static int bml_cuda__net_upload(bml_cuda_net *s, bml_cuda__way *way, bml_cuda__plan *p) {
    bml_cuda *cuda = s->cuda;
    int status = bml_cuda__net_blocks(s, way);
    way->room = p->room;
    s->in_scaler = p->scaler;
    if (!status) {
        status = bml_cuda__upload(&way->ops, p->ops, bml_cuda__bytes(s->n_ops, sizeof *p->ops), cuda);
    }
    if (!status && !s->words) {
        status = bml_cuda__upload(&s->words, p->words, bml_cuda__bytes(p->n_words, sizeof *p->words), cuda);
    }
    if (!status && !s->floats) {
        status = bml_cuda__upload(&s->floats, p->floats, bml_cuda__bytes(p->n_floats, sizeof *p->floats), cuda);
    }
    return status;
}

/* Plans a way: how much there is of everything, then everything. */
static int bml_cuda__net_build(bml_cuda_net *s, bml_cuda__way *way, const bml_nn *net) {
    bml_cuda__plan *p = (bml_cuda__plan *)calloc(1, sizeof *p);
    if (!p) {
        return BML_CUDA_NO_MEMORY;
    }
    p->net = net;
    p->precision = s->precision;
    p->rows = way->rows;
    int status = bml_cuda__plan_net(p, s->cuda);
    if (!status) {
        p->words = (uint32_t *)calloc((size_t)p->n_words + 1, sizeof *p->words);
        p->floats = (float *)calloc((size_t)p->n_floats + 1, sizeof *p->floats);
        if (!p->words || !p->floats) {
            status = BML_CUDA_NO_MEMORY;
        } else {
            status = bml_cuda__plan_net(p, s->cuda);
        }
        s->width = p->width;
        int stride = bml_cuda__stride(s->precision, p->width);
        way->shared = bml_cuda__bytes((ptrdiff_t)p->rows * stride, sizeof(uint32_t));
        if (!status && way->shared > s->cuda->shared) {
            status = BML_CUDA_TOO_LARGE;
        }
        if (!status) {
            status = bml_cuda__net_upload(s, way, p);
        }
        free(p->words);
        free(p->floats);
    }
    free(p);
    return status;
}

/* The workspace of all blocks, whichever way is taken. */
static int bml_cuda__net_workspace(bml_cuda_net *s) {
    size_t most = 0;
    for (int i = 0; i < s->n_ways; i++) {
        size_t room = bml_cuda__bytes(s->way[i].room, sizeof(float));
        if (room > SIZE_MAX / s->way[i].blocks) {
            return BML_CUDA_TOO_LARGE;
        }
        most = BML_CUDA__MAX(most, s->way[i].blocks * room);
    }
    return bml_cuda_alloc(&s->workspace, most, s->cuda);
}

static int bml_cuda__net_create(bml_cuda_net **out, const bml_nn *net, const bml_cuda_net_config *config,
                                bml_cuda *cuda) {
    int rows = config ? config->rows : 0;
    if (net->n_nodes > BML_CUDA__MAX_OPS)
        return bml_cuda__fail(cuda, BML_CUDA_TOO_LARGE, "more than %d layers", BML_CUDA__MAX_OPS);
    bml_cuda_net *s;
    s = (bml_cuda_net *)calloc(1, sizeof *s);
    if (!s) {
        return BML_CUDA_NO_MEMORY;
    }
    s->cuda = cuda;
    s->precision = config ? config->precision : BML_CUDA_F16;
    s->n_ops = net->n_nodes;
    s->n_in = net->n_in;
    s->n_out = net->n_out;
    int status = BML_CUDA_TOO_LARGE;
    if (rows != 16) {
        s->way[0].rows = 64;
        status = bml_cuda__net_build(s, &s->way[0], net);
        s->n_ways = !status;
    }
    if (rows == 16 || (!rows && (!status || status == BML_CUDA_TOO_LARGE))) {
        s->way[s->n_ways].rows = 16;
        status = bml_cuda__net_build(s, &s->way[s->n_ways], net);
        s->n_ways += !status;
    }
    if (!status) {
        status = bml_cuda__net_workspace(s);
    }
    if (status) {
        bml_cuda_net_free(s);
    } else {
        *out = s;
    }
    return status;
}

/* path, or bytes. */
static int bml_cuda__net_make(bml_cuda_net **out, const char *path, const bml_cuda_bytes *model,
                              const bml_cuda_net_config *config, bml_cuda *cuda) {
    bml_nn *net = NULL;
    int status = bml_cuda__enter(cuda);
    if (out) {
        *out = NULL;
    }
    if (status) return status;
    if (!out || (!path && !model) ||
        (config && (config->precision < 0 || config->precision >= BML_CUDA_N_PRECISIONS ||
                    (config->rows != 0 && config->rows != 16 && config->rows != 64))))
        return BML_CUDA_BAD_ARGUMENT;
    if (config && (config->precision == BML_CUDA_BF16 || config->precision == BML_CUDA_TF32) && cuda->capability < 80)
        return bml_cuda__fail(cuda, BML_CUDA_BAD_ARGUMENT, "bfloat16 and tf32 need compute capability 8.0");
    char why[BML_NN_MESSAGE];
    int read = path ? bml_nn_load(&net, path, why) : bml_nn_decode(&net, model->bytes, model->size, why);
    if (read) {
        status = bml_cuda__fail(cuda, read == BML_NN_NO_MEMORY ? BML_CUDA_NO_MEMORY : BML_CUDA_BAD_MODEL, "%s: %.180s",
                                bml_nn_strerror(read), why);
    } else {
        status = bml_cuda__net_create(out, net, config, cuda);
    }
    bml_nn_free(net);
    return status;
}

BML_CUDA_DEF int bml_cuda_net_load(bml_cuda_net **net, const char *path, const bml_cuda_net_config *config,
                                   bml_cuda *cuda) {
    return bml_cuda__net_make(net, path, NULL, config, cuda);
}
BML_CUDA_DEF int bml_cuda_net_decode(bml_cuda_net **net, const bml_cuda_bytes *model, const bml_cuda_net_config *config,
                                     bml_cuda *cuda) {
    return bml_cuda__net_make(net, NULL, model, config, cuda);
}

BML_CUDA_DEF void bml_cuda_net_free(bml_cuda_net *s) {
    if (!s) return;
    bml_cuda_release(s->way[0].ops, s->cuda);
    bml_cuda_release(s->way[1].ops, s->cuda);
    bml_cuda_release(s->words, s->cuda);
    bml_cuda_release(s->floats, s->cuda);
    bml_cuda_release(s->workspace, s->cuda);
    free(s);
}

BML_CUDA_DEF size_t bml_cuda_net_n_in(const bml_cuda_net *s) {
    return s ? (size_t)s->n_in : 0;
}
BML_CUDA_DEF size_t bml_cuda_net_n_out(const bml_cuda_net *s) {
    return s ? (size_t)s->n_out : 0;
}

BML_CUDA_DEF int bml_cuda_net_predict(float *y, const float *x, size_t n, bml_cuda_stream stream, bml_cuda_net *s) {
    int status = s ? bml_cuda__enter(s->cuda) : BML_CUDA_BAD_ARGUMENT;
    if (status || !n) return status;
    if (!y || !x) {
        return BML_CUDA_BAD_ARGUMENT;
    }
    size_t small = (n - 1) / 16 + 1; /* blocks of 16 rows: where there is a multiprocessor for each */
    int last = s->n_ways - 1;
    const bml_cuda__way *way = &s->way[small <= (size_t)s->cuda->multiprocessors ? last : 0];
    size_t groups = (n - 1) / (size_t)way->rows + 1;
    unsigned grid = groups < way->blocks ? (unsigned)groups : way->blocks;
    bml_cuda__run r;
    r.ops = (const bml_cuda__op *)way->ops;
    r.words = (const uint32_t *)s->words;
    r.floats = (const float *)s->floats;
    r.x = x;
    r.y = y;
    r.workspace = (float *)s->workspace;
    r.n = (ptrdiff_t)n;
    r.room = way->room;
    r.n_in = s->n_in;
    r.n_out = s->n_out;
    r.n_ops = s->n_ops;
    r.width = s->width;
    r.precision = s->precision;
    r.in_scaler = s->in_scaler;
    r.out_scaler = s->in_scaler + 2 * s->n_in;
#define BML_CUDA__CASE(mt) \
    if (way->rows == 16 * mt) bml_cuda__launch(s->cuda, grid, way->shared, stream, bml_cuda__net_kernel<mt>, r);
    BML_CUDA__NET_KERNELS(BML_CUDA__CASE)
#undef BML_CUDA__CASE
    return bml_cuda__launched(s->cuda, "network kernel");
}

BML_CUDA_DEF int bml_cuda_net_predict_host(float *y, const float *x, size_t n, bml_cuda_net *s) {
    bml_cuda__buffers b = bml_cuda__kept_buffers(s ? s->cuda : NULL);
    if (!s || (n && (!x || !y))) {
        return BML_CUDA_BAD_ARGUMENT;
    }
    if (!n) {
        return BML_CUDA_OK;
    }
    if (n > SIZE_MAX / 16 / (size_t)s->n_in / (size_t)s->n_out) {
        return BML_CUDA_TOO_LARGE;
    }
    ptrdiff_t n_x = (ptrdiff_t)n * s->n_in;
    ptrdiff_t n_y = (ptrdiff_t)n * s->n_out;
    float *dx = (float *)bml_cuda__buffer(&b, x, n_x, sizeof *x);
    float *dy = (float *)bml_cuda__buffer(&b, NULL, n_y, sizeof *y);
    if (!b.status) {
        b.status = bml_cuda_net_predict(dy, dx, n, NULL, s);
    }
    bml_cuda__fetch(&b, y, dy, bml_cuda__bytes(n_y, sizeof *y));
    return bml_cuda__done(&b);
}

#ifndef BML_CUDA_NO_TRAINING
/* >> training: kernels
   The memory of a batch lies on the device as bml_nn.h lays it out on the CPU ("a pass: the memory of some rows",
   there): its own plan of the layers, with the addresses of the device in it. One product serves all layers, in both
   directions; the rest of a layer is done element by element. */

/* op(k) for k = 0 ... n-1: every elementwise piece of a step is one such op. */
template <typename Op>
static __global__ void __launch_bounds__(BML_CUDA__THREADS) bml_cuda__each_kernel(ptrdiff_t n, const Op op) {
    BML_CUDA__CELLS(k, n) {
        op(k);
    }
}

/* C[m][n] = A[m][depth] B[depth][n], or += . A block makes 32 x 32 numbers of C; each warp 16 x 8 at a time, in the
   fragment order of tensor cores, with them (TF32) or without. The next 32 of the depth are on their way from memory
   while these are multiplied. Sums are made in one order whatever the grid. */
typedef struct bml_cuda__factors {
    float *c;
    bml_nn__mat a;
    bml_nn__mat b;
    ptrdiff_t ldc;
    int m;
    int n;
    int depth;
    int add;
} bml_cuda__factors;

enum { BML_CUDA__TILE = 32 };
enum { BML_CUDA__A_STRIDE = 36 }; /* so that a fragment's numbers fall on 32 banks: 4 rows + columns, */
enum { BML_CUDA__B_STRIDE = 40 }; /* 8 rows + columns */
enum { BML_CUDA__TAKEN = BML_CUDA__TILE * BML_CUDA__TILE / BML_CUDA__THREADS }; /* of a tile, by each thread */
enum { BML_CUDA__PARTS = 8 / BML_CUDA__WARPS };                                 /* of C, by each warp */

/* Where number e of this thread stands in a tile: neighbouring threads take what lies together in memory. */
static __device__ __forceinline__ void bml_cuda__place_in_tile(int *row, int *col, int e, const bml_nn__mat &m) {
    int at = (int)threadIdx.x + e * BML_CUDA__THREADS;
    int along = at % BML_CUDA__TILE;
    int across = at / BML_CUDA__TILE;
    *row = m.cs == 1 ? across : along;
    *col = m.cs == 1 ? along : across;
}

static __device__ __forceinline__ void bml_cuda__take(float *taken, const bml_nn__mat &m, int row, int col, int rows,
                                                      int cols) {
    BML_CUDA__UNROLL
    for (int e = 0; e < BML_CUDA__TAKEN; e++) {
        int i;
        int j;
        bml_cuda__place_in_tile(&i, &j, e, m);
        i += row;
        j += col;
        taken[e] = i < rows && j < cols ? m.p[(ptrdiff_t)i * m.rs + (ptrdiff_t)j * m.cs] : 0;
    }
}

template <int TF32>
static __device__ __forceinline__ void bml_cuda__lay(float *tile, int stride, const float *taken,
                                                     const bml_nn__mat &m) {
    BML_CUDA__UNROLL
    for (int e = 0; e < BML_CUDA__TAKEN; e++) {
        int i;
        int j;
        bml_cuda__place_in_tile(&i, &j, e, m);
        tile[i * stride + j] = TF32 ? bml_cuda__to_tf32(taken[e]) : taken[e];
    }
}

/* The 16 x 8 part of C at a and b, 32 deep, by tensor cores or without. */
static __device__ __forceinline__ void bml_cuda__part_tf32(float *acc, const float *a, const float *b) {
    int lane = (int)threadIdx.x % 32;
    int g = lane / 4;
    int t = lane % 4;
    BML_CUDA__UNROLL
    for (int k = 0; k < BML_CUDA__TILE; k += 8) {
        const float *at = a + g * BML_CUDA__A_STRIDE + k + t;
        const float *bt = b + (k + t) * BML_CUDA__B_STRIDE + g;
        float from_a[4] = {at[0], at[8 * BML_CUDA__A_STRIDE], at[4], at[8 * BML_CUDA__A_STRIDE + 4]};
        float from_b[2] = {bt[0], bt[4 * BML_CUDA__B_STRIDE]};
        uint32_t x[4];
        uint32_t y[2];
        memcpy(x, from_a, sizeof x);
        memcpy(y, from_b, sizeof y);
        bml_cuda__mma_tf32(acc, x, y);
    }
}
static __device__ __forceinline__ void bml_cuda__part_f32(float *acc, const float *a, const float *b) {
    int lane = (int)threadIdx.x % 32;
    int g = lane / 4;
    int t = lane % 4;
    BML_CUDA__UNROLL
    for (int k = 0; k < BML_CUDA__TILE; k++) {
        float x = a[g * BML_CUDA__A_STRIDE + k];
        float y = a[(g + 8) * BML_CUDA__A_STRIDE + k];
        float v = b[k * BML_CUDA__B_STRIDE + 2 * t];
        float w = b[k * BML_CUDA__B_STRIDE + 2 * t + 1];
        acc[0] += x * v;
        acc[1] += x * w;
        acc[2] += y * v;
        acc[3] += y * w;
    }
}

template <int TF32>
static __global__ void __launch_bounds__(BML_CUDA__THREADS) bml_cuda__product_kernel(const bml_cuda__factors f) {
    __shared__ float a[BML_CUDA__TILE * BML_CUDA__A_STRIDE];
    __shared__ float b[BML_CUDA__TILE * BML_CUDA__B_STRIDE];
    float acc[BML_CUDA__PARTS][4] = {};
    float next_a[BML_CUDA__TAKEN];
    float next_b[BML_CUDA__TAKEN];
    int across = (f.n + BML_CUDA__TILE - 1) / BML_CUDA__TILE;
    int warp = (int)threadIdx.x / 32;
    int lane = (int)threadIdx.x % 32;
    int row = (int)blockIdx.x / across * BML_CUDA__TILE;
    int col = (int)blockIdx.x % across * BML_CUDA__TILE;
    bml_cuda__take(next_a, f.a, row, 0, f.m, f.depth);
    bml_cuda__take(next_b, f.b, 0, col, f.depth, f.n);
    for (int k = 0; k < f.depth; k += BML_CUDA__TILE) {
        bml_cuda__lay<TF32>(a, BML_CUDA__A_STRIDE, next_a, f.a);
        bml_cuda__lay<TF32>(b, BML_CUDA__B_STRIDE, next_b, f.b);
        __syncthreads();
        bml_cuda__take(next_a, f.a, row, k + BML_CUDA__TILE, f.m, f.depth);
        bml_cuda__take(next_b, f.b, k + BML_CUDA__TILE, col, f.depth, f.n);
        BML_CUDA__UNROLL
        for (int p = 0; p < BML_CUDA__PARTS; p++) {
            int part = warp + p * BML_CUDA__WARPS;
            const float *x = a + part % 2 * 16 * BML_CUDA__A_STRIDE;
            const float *y = b + part / 2 * 8;
            if (TF32) {
                bml_cuda__part_tf32(acc[p], x, y);
            } else {
                bml_cuda__part_f32(acc[p], x, y);
            }
        }
        __syncthreads();
    }
    BML_CUDA__UNROLL
    for (int i = 0; i < 4 * BML_CUDA__PARTS; i++) {
        int part = warp + i / 4 * BML_CUDA__WARPS;
        int r = row + part % 2 * 16 + lane / 4 + i % 4 / 2 * 8;
        int c = col + part / 2 * 8 + lane % 4 * 2 + i % 2;
        float *to = f.c + (ptrdiff_t)r * f.ldc + c;
        if (r < f.m && c < f.n) {
            *to = acc[i / 4][i % 4] + (f.add ? *to : 0);
        }
    }
}

/* sums[width] of the columns of d[rows][width]: 32 columns a block, a warp takes every eighth row. */
static __global__ void __launch_bounds__(BML_CUDA__THREADS)
    bml_cuda__column_kernel(float *sums, const float *d, ptrdiff_t rows, ptrdiff_t width) {
    __shared__ float part[BML_CUDA__THREADS];
    ptrdiff_t warp = threadIdx.x / 32;
    ptrdiff_t col = (ptrdiff_t)blockIdx.x * 32 + threadIdx.x % 32;
    float sum = 0;
    for (ptrdiff_t i = warp; i < rows && col < width; i += BML_CUDA__WARPS)
        sum += d[i * width + col];
    part[threadIdx.x] = sum;
    __syncthreads();
    if (warp || col >= width) return;
    for (int w = 1; w < BML_CUDA__WARPS; w++)
        sum += part[32 * w + (int)threadIdx.x];
    sums[col] = sum;
}

/* Sum over a block's threads, in one order; for all of them. */
static __device__ double bml_cuda__block_sum(double v) {
    __shared__ double part[BML_CUDA__THREADS];
    __syncthreads();
    part[threadIdx.x] = v;
    for (unsigned half = BML_CUDA__THREADS / 2; half; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) {
            part[threadIdx.x] += part[threadIdx.x + half];
        }
    }
    __syncthreads();
    return part[0];
}

/* Number j (in rows [b][steps w]) of row `row`, as the layers store it, [steps][b][w]. */
static __device__ __forceinline__ ptrdiff_t bml_cuda__stored(ptrdiff_t row, ptrdiff_t j, ptrdiff_t b, ptrdiff_t w) {
    return (j / w * b + row) * w + j % w;
}

/* Inputs, gathered and scaled: to[steps][b][w] of x[...][width], whose numbers `offset` on belong to this layer. */
struct bml_cuda__read {
    float *to;
    const float *x;
    const float *shift;
    const float *scale;
    const uint32_t *index;
    ptrdiff_t b;
    ptrdiff_t w;
    ptrdiff_t width;
    ptrdiff_t offset;
    __device__ void operator()(ptrdiff_t k) const {
        ptrdiff_t row = k / w % b;
        ptrdiff_t c = offset + k / w / b * w + k % w;
        float v = x[(index ? index[row] : row) * width + c];
        to[k] = scale ? (v - shift[c]) / scale[c] : v;
    }
};

/* to[...][to_width] (+)= from[...][from_width], the first w of each row. */
struct bml_cuda__columns {
    float *to;
    const float *from;
    ptrdiff_t to_width;
    ptrdiff_t from_width;
    ptrdiff_t w;
    int add;
    __device__ void operator()(ptrdiff_t k) const {
        float *at = to + k / w * to_width + k % w;
        float v = from[k / w * from_width + k % w];
        *at = add ? *at + v : v;
    }
};

/* Flatten and reshape: [..][b][w] to [..][b][to_w], a row's numbers in order. */
struct bml_cuda__reorder {
    float *to;
    const float *from;
    ptrdiff_t b;
    ptrdiff_t w;
    ptrdiff_t to_w;
    ptrdiff_t all;
    int add;
    __device__ void operator()(ptrdiff_t k) const {
        ptrdiff_t row = k / all;
        ptrdiff_t j = k % all;
        float *at = to + bml_cuda__stored(row, j, b, to_w);
        float v = from[bml_cuda__stored(row, j, b, w)];
        *at = add ? *at + v : v;
    }
};

/* Dropout's factors, drawn as bml_nn.h draws them: four a block of the generator. */
struct bml_cuda__masks {
    float *m;
    ptrdiff_t b;
    ptrdiff_t w;
    ptrdiff_t all;
    uint32_t node;
    const uint32_t *step;
    uint32_t limit;
    uint32_t key[2];
    float keep;
    __device__ void operator()(ptrdiff_t k) const {
        ptrdiff_t blocks = (all + 3) / 4;
        ptrdiff_t row = k / blocks;
        ptrdiff_t j = k % blocks * 4;
        uint32_t bits[4];
        bml_cuda__philox(bits, (uint32_t)(j / 4), (uint32_t)row, node, *step, key);
        for (ptrdiff_t i = 0; i < 4 && j + i < all; i++)
            m[bml_cuda__stored(row, j + i, b, w)] = limit && bits[i] <= limit ? 0 : keep;
    }
};

struct bml_cuda__times {
    float *to;
    const float *from;
    const float *factor; /* NULL: 1 */
    int add;
    __device__ void operator()(ptrdiff_t k) const {
        float v = factor ? from[k] * factor[k] : from[k];
        to[k] = add ? to[k] + v : v;
    }
};

/* Largest of each window of steps, and back to the first of equal ones; k counts a step's numbers. */
struct bml_cuda__pool {
    float *y;
    float *d;
    float *dx; /* dx NULL: forward */
    const float *x;
    ptrdiff_t step;
    int steps;
    int kernel;
    int stride;
    __device__ void operator()(ptrdiff_t k) const {
        for (int t = 0; t < steps; t++) {
            ptrdiff_t at = (ptrdiff_t)(t * stride) * step + k;
            ptrdiff_t to = (ptrdiff_t)t * step + k;
            float top = x[at];
            int best = 0;
            for (int i = 1; i < kernel; i++) { /* a NaN wins, so that it is seen */
                float v = x[at + (ptrdiff_t)i * step];
                if (v > top || v != v) {
                    top = v;
                    best = i;
                }
            }
            if (dx) {
                dx[at + (ptrdiff_t)best * step] += d[to];
            } else {
                y[to] = top;
            }
        }
    }
};

/* f' from x and y = f(x), as the table of activations of bml_nn.h has it. */
static __device__ float bml_cuda__act_slope(float x, float y, int activation, float slope) {
    float s;
    switch (activation) {
    case BML_NN_RELU: return y > 0 ? 1 : 0;
    case BML_NN_LEAKY_RELU: return y > 0 ? 1 : slope;
    case BML_NN_TANH: return 1 - y * y;
    case BML_NN_SIGMOID: return y * (1 - y);
    case BML_NN_SOFTPLUS: return y < 0.01f ? y * (1 - y / 2 * (1 - y / 3)) : 1 - expf(-y);
    case BML_NN_SILU: s = bml_cuda__logistic(x); return s * (1 + x * (1 - s));
    case BML_NN_GELU: return (1 + erff(x * 0.707106781f)) / 2 + x * 0.398942280f * expf(-x * x / 2);
    case BML_NN_HARDTANH: return y < 1 && y > -1 ? 1 : 0;
    default: return 1;
    }
}

/* z becomes act(z + bias); `before` (or NULL) keeps z + bias. Softmax: k counts rows, else numbers. */
struct bml_cuda__apply {
    float *z;
    float *before;
    const float *bias;
    ptrdiff_t width;
    int activation;
    float slope;
    __device__ void operator()(ptrdiff_t k) const {
        if (activation == BML_NN_SOFTMAX) {
            float *row = z + k * width;
            float top = row[0] + bias[0];
            float sum = 0;
            for (ptrdiff_t j = 0; j < width; j++) {
                row[j] += bias[j];
                top = row[j] > top ? row[j] : top;
            }
            for (ptrdiff_t j = 0; j < width; j++) {
                row[j] = expf(row[j] - top);
                sum += row[j];
            }
            for (ptrdiff_t j = 0; j < width; j++)
                row[j] /= sum;
            return;
        }
        float x = z[k] + bias[k % width];
        if (before) {
            before[k] = x;
        }
        z[k] = bml_cuda__act(x, activation, slope);
    }
};

/* d becomes the derivative by what went into the activation. */
struct bml_cuda__unapply {
    float *d;
    const float *after;
    const float *before;
    ptrdiff_t width;
    int activation;
    float slope;
    __device__ void operator()(ptrdiff_t k) const {
        if (activation == BML_NN_SOFTMAX) {
            float *row = d + k * width;
            float sum = 0;
            const float *y = after + k * width;
            for (ptrdiff_t j = 0; j < width; j++)
                sum += row[j] * y[j];
            for (ptrdiff_t j = 0; j < width; j++)
                row[j] = y[j] * (row[j] - sum);
        } else {
            d[k] *= bml_cuda__act_slope(before ? before[k] : 0, after[k], activation, slope);
        }
    }
};

/* >> training: one step of a recurrent cell, forward and back; names and formulas are those of bml_nn__cell */

enum {
    BML_CUDA__LSTM_STEP,
    BML_CUDA__GRU_STEP,
    BML_CUDA__GRU_GATES, /* reset before the product: gates and r h, then the state */
    BML_CUDA__GRU_STATE,
    BML_CUDA__RNN_STEP,
    BML_CUDA__LSTM_BACK,
    BML_CUDA__GRU_BACK,
    BML_CUDA__GRU_STATE_BACK,
    BML_CUDA__GRU_GATES_BACK,
    BML_CUDA__RNN_BACK
};

struct bml_cuda__moment {
    int what;
    int first; /* the state before is zero, t holds nothing */
    int activation;
    int gates;
    ptrdiff_t u;
    const float *bias;
    const float *before;   /* h before the step, [b][u] */
    const float *c_before; /* c likewise */
    float *g;              /* gates [b][gates u] */
    float *aux;            /* what the way back wants */
    float *h;              /* after the step */
    float *c;
    float *t;           /* h R */
    float *d;           /* derivatives by the gates, */
    float *e;           /* on the side of h, */
    float *dh;          /* by h */
    float *dc;          /* and by c */
    const float *above; /* derivative by what the layer gave at this step, [b][above_width]; NULL: 0 */
    ptrdiff_t above_width;

    __device__ void lstm(ptrdiff_t row, ptrdiff_t j) const {
        float *z = g + row * 4 * u + j;
        ptrdiff_t at = row * u + j;
        z[0] = bml_cuda__logistic(z[0] + bias[j]);
        z[u] = bml_cuda__logistic(z[u] + bias[u + j]);
        z[2 * u] = tanhf(z[2 * u] + bias[2 * u + j]);
        z[3 * u] = bml_cuda__logistic(z[3 * u] + bias[3 * u + j]);
        c[at] = z[u] * c_before[at] + z[0] * z[2 * u];
        aux[at] = tanhf(c[at]);
        h[at] = z[3 * u] * aux[at];
    }
    __device__ void gru(ptrdiff_t row, ptrdiff_t j) const {
        float *z = g + row * 3 * u + j;
        const float *s = t + row * 3 * u + j;
        const float *more = bias + 3 * u;
        ptrdiff_t at = row * u + j;
        float s0 = first ? 0 : s[0];
        float s1 = first ? 0 : s[u];
        float s2 = first ? 0 : s[2 * u];
        z[0] = bml_cuda__logistic(z[0] + bias[j] + s0 + more[j]);
        z[u] = bml_cuda__logistic(z[u] + bias[u + j] + s1 + more[u + j]);
        aux[at] = s2 + more[2 * u + j];
        z[2 * u] = tanhf(z[2 * u] + bias[2 * u + j] + z[u] * aux[at]);
        h[at] = z[2 * u] + z[0] * (before[at] - z[2 * u]);
    }
    __device__ void gru_gates(ptrdiff_t row, ptrdiff_t j) const {
        float *z = g + row * 3 * u + j;
        z[0] = bml_cuda__logistic(z[0] + bias[j]);
        z[u] = bml_cuda__logistic(z[u] + bias[u + j]);
        aux[row * u + j] = z[u] * before[row * u + j];
    }
    __device__ void gru_state(ptrdiff_t row, ptrdiff_t j) const {
        float *z = g + row * 3 * u + j;
        z[2 * u] = tanhf(z[2 * u] + bias[2 * u + j]);
        h[row * u + j] = z[2 * u] + z[0] * (before[row * u + j] - z[2 * u]);
    }
    __device__ void lstm_back(ptrdiff_t row, ptrdiff_t j) const {
        const float *z = g + row * 4 * u + j;
        float *to = d + row * 4 * u + j;
        float i = z[0];
        float f = z[u];
        float n = z[2 * u];
        float o = z[3 * u];
        ptrdiff_t at = row * u + j;
        float by_c = dc[at] + dh[at] * o * (1 - aux[at] * aux[at]);
        to[0] = by_c * n * i * (1 - i);
        to[u] = by_c * c_before[at] * f * (1 - f);
        to[2 * u] = by_c * i * (1 - n * n);
        to[3 * u] = dh[at] * aux[at] * o * (1 - o);
        dc[at] = by_c * f;
        dh[at] = 0;
    }
    __device__ void gru_back(ptrdiff_t row, ptrdiff_t j) const {
        const float *gate = g + row * 3 * u + j;
        float *to = d + row * 3 * u + j;
        float *too = e + row * 3 * u + j;
        float z = gate[0];
        float r = gate[u];
        float n = gate[2 * u];
        ptrdiff_t at = row * u + j;
        float by_n = dh[at] * (1 - z) * (1 - n * n);
        too[0] = to[0] = dh[at] * (before[at] - n) * z * (1 - z);
        too[u] = to[u] = by_n * aux[at] * r * (1 - r);
        to[2 * u] = by_n;
        too[2 * u] = by_n * r;
        dh[at] *= z;
    }
    __device__ void gru_state_back(ptrdiff_t row, ptrdiff_t j) const {
        const float *gate = g + row * 3 * u + j;
        float *to = d + row * 3 * u + j;
        float z = gate[0];
        float n = gate[2 * u];
        float by_h = dh[row * u + j];
        to[0] = by_h * (before[row * u + j] - n) * z * (1 - z);
        to[2 * u] = by_h * (1 - z) * (1 - n * n);
    }
    __device__ void gru_gates_back(ptrdiff_t row, ptrdiff_t j) const { /* t[b][u]: the derivative by r h */
        ptrdiff_t at = row * u + j;
        float z = g[row * 3 * u + j];
        float r = g[row * 3 * u + u + j];
        d[row * 3 * u + u + j] = t[at] * before[at] * r * (1 - r);
        dh[at] = dh[at] * z + t[at] * r;
    }
    __device__ void operator()(ptrdiff_t k) const {
        ptrdiff_t row = k / u;
        ptrdiff_t j = k % u;
        if (above && what >= BML_CUDA__LSTM_BACK) {
            dh[k] += above[row * above_width + j];
        }
        switch (what) {
        case BML_CUDA__LSTM_STEP: lstm(row, j); break;
        case BML_CUDA__GRU_STEP: gru(row, j); break;
        case BML_CUDA__GRU_GATES: gru_gates(row, j); break;
        case BML_CUDA__GRU_STATE: gru_state(row, j); break;
        case BML_CUDA__RNN_STEP: h[k] = bml_cuda__act(g[k] + bias[j], activation, 0); break;
        case BML_CUDA__LSTM_BACK: lstm_back(row, j); break;
        case BML_CUDA__GRU_BACK: gru_back(row, j); break;
        case BML_CUDA__GRU_STATE_BACK: gru_state_back(row, j); break;
        case BML_CUDA__GRU_GATES_BACK: gru_gates_back(row, j); break;
        default: d[k] = dh[k] * bml_cuda__act_slope(0, h[k], activation, 0); dh[k] = 0;
        }
    }
};

/* >> training: loss, norm, update
   Sums are double, made by blocks into `parts` and then by one block, in one order. */

typedef struct bml_cuda__tally { /* on the device */
    double total;                /* weight of the present batch */

    /* since they were last asked for */
    double loss; /* times weight */
    double weight;
    double norm;
    double right;
    double batches;

    double rows;

    double given; /* a loss that the host has worked out */
    float factor; /* of the gradient: clipping */
    int failed;   /* a loss or gradient was not finite: nothing is updated any more */

    /* never forgotten: */
    uint32_t step; /* updates so far; the generator of dropout takes it, too */
    float a;       /* Adam's rate and root of this step: rate/(1 - 0.9^k), 1/sqrt(1 - 0.999^k) */
    float c;
} bml_cuda__tally;

/* One more update, by Adam's numbers for it. */
static __host__ __device__ void bml_cuda__next_step(bml_cuda__tally *t, double rate) {
    t->step++;
    t->a = (float)(rate / (1 - pow(0.9, (double)t->step)));
    t->c = (float)(1 / sqrt(1 - pow(0.999, (double)t->step)));
}

static size_t bml_cuda__tally_sums(void) { /* bytes that are forgotten */
    return offsetof(bml_cuda__tally, step);
}
enum { BML_CUDA__LOSS_PART, BML_CUDA__RIGHT_PART, BML_CUDA__NORM_PART, BML_CUDA__L2_PART, BML_CUDA__N_PARTS };
enum { BML_CUDA__MAX_PARTS = 256 }; /* blocks of a sum */

/* The sum of a batch's weights, times `each`. */
static __global__ void __launch_bounds__(BML_CUDA__THREADS)
    bml_cuda__weight_kernel(bml_cuda__tally *tally, const float *weights, const uint32_t *index, ptrdiff_t b,
                            double each) {
    double sum = 0;
    for (ptrdiff_t i = threadIdx.x; i < b; i += BML_CUDA__THREADS) {
        ptrdiff_t from = index ? index[i] : i;
        sum += weights ? (double)weights[from] : 1;
    }
    sum = bml_cuda__block_sum(sum);
    if (!threadIdx.x) {
        tally->total = sum * each;
    }
}

/* Loss of one number and its derivative, as bml_nn__element. */
static __device__ double bml_cuda__element(double *slope, int loss, double p, double y) {
    const double hold = 1e-7; /* probabilities are held this far from 0 and 1 */
    double q;
    double d;
    switch (loss) {
    case BML_NN_MAE: *slope = (p > y) - (p < y); return fabs(p - y);
    case BML_NN_MSLE:
        d = log1p(fmax(p, 0.0)) - log1p(fmax(y, 0.0));
        *slope = p > 0 ? 2 * d / (1 + p) : 0;
        return p != p ? p : d * d;
    case BML_NN_BINARY:
        q = p < hold ? hold : p;
        if (q > 1 - hold) {
            q = 1 - hold;
        }
        *slope = (q - y) / (q * (1 - q));
        return -y * log(q) - (1 - y) * log1p(-q);
    case BML_NN_BINARY_LOGITS:
        q = exp(-fabs(p));
        *slope = (p >= 0 ? 1 / (1 + q) : q / (1 + q)) - y;
        return (p > 0 ? p : 0) - p * y + log1p(q);
    default: *slope = 2 * (p - y); return (p - y) * (p - y);
    }
}

struct bml_cuda__loss {
    float *gradient;         /* [steps][b][w], NULL: not wanted */
    const float *prediction; /* [steps][b][w] */
    const float *y;          /* [..][m] */
    const float *weights;
    const float *shift;
    const float *scale;
    const uint32_t *index;
    ptrdiff_t b;
    ptrdiff_t w;
    ptrdiff_t m; /* m = steps w */
    int kind;
    double *parts;
    const bml_cuda__tally *tally;

    __device__ float target(ptrdiff_t from, ptrdiff_t j) const {
        float v = y[from * m + j];
        return scale ? (v - shift[j]) / scale[j] : v;
    }
    __device__ double element(double *right, ptrdiff_t k) const { /* number k % m of row k / m */
        ptrdiff_t row = k / m;
        ptrdiff_t j = k % m;
        ptrdiff_t from = index ? index[row] : row;
        ptrdiff_t at = bml_cuda__stored(row, j, b, w);
        double weight = weights ? (double)weights[from] : 1;
        double slope;
        double p = (double)prediction[at];
        float want = target(from, j);
        double l = weight * bml_cuda__element(&slope, kind, p, (double)want);
        if (gradient) {
            gradient[at] = (float)((double)(float)(weight * slope) / (tally->total > 0 ? tally->total : 1));
        }
        if (kind == BML_NN_BINARY || kind == BML_NN_BINARY_LOGITS) {
            double middle = kind == BML_NN_BINARY ? 0.5 : 0;
            int same = (p > middle) == (want > 0.5f);
            *right += same ? 1 / (double)m : 0;
        }
        return l;
    }
    __device__ double classes(double *right, ptrdiff_t row) const { /* a row of classes, as bml_nn__row */
        ptrdiff_t from = index ? index[row] : row;
        ptrdiff_t best = 0;
        ptrdiff_t wanted = 0;
        double weight = weights ? (double)weights[from] : 1;
        double total = tally->total > 0 ? tally->total : 1;
        double top = -HUGE_VAL;
        double sum = 0;
        double all = 0;
        double l = 0;
        int logits = kind == BML_NN_CATEGORICAL_LOGITS;
        for (ptrdiff_t j = 0; j < m; j++) {
            double p = (double)prediction[bml_cuda__stored(row, j, b, w)];
            if (p > top) {
                top = p;
                best = j;
            }
            if (target(from, j) > target(from, wanted)) {
                wanted = j;
            }
            all += (double)target(from, j);
        }
        for (ptrdiff_t j = 0; logits && j < m; j++)
            sum += exp((double)prediction[bml_cuda__stored(row, j, b, w)] - top);
        for (ptrdiff_t j = 0; j < m; j++) {
            ptrdiff_t at = bml_cuda__stored(row, j, b, w);
            double p = (double)prediction[at];
            double want = (double)target(from, j);
            double q = p < 1e-7 ? 1e-7 : p;
            double log_p = logits ? p - top - log(sum) : log(q);
            l -= want * log_p;
            double slope = logits ? all * exp(log_p) - want : -want / q;
            if (gradient) {
                gradient[at] = (float)(weight * slope / total);
            }
        }
        *right += best == wanted;
        return weight * l;
    }
};

static __global__ void __launch_bounds__(BML_CUDA__THREADS) bml_cuda__loss_kernel(const bml_cuda__loss l) {
    int by_row = l.kind == BML_NN_CATEGORICAL || l.kind == BML_NN_CATEGORICAL_LOGITS;
    double loss = 0;
    double right = 0;
    BML_CUDA__CELLS(k, by_row ? l.b : l.b * l.m) {
        loss += by_row ? l.classes(&right, k) : l.element(&right, k);
    }
    loss = bml_cuda__block_sum(loss);
    right = bml_cuda__block_sum(right);
    if (threadIdx.x) return;
    l.parts[BML_CUDA__LOSS_PART * BML_CUDA__MAX_PARTS + (int)blockIdx.x] = loss;
    l.parts[BML_CUDA__RIGHT_PART * BML_CUDA__MAX_PARTS + (int)blockIdx.x] = right;
}

/* What the optimiser has: gradient, weights, two moments, and which weights L2 draws at. */
typedef struct bml_cuda__learner {
    float *w;
    float *m;
    float *v;
    float *g;
    const unsigned char *drawn;
    double *parts;
    bml_cuda__tally *tally;
    ptrdiff_t n;
    double l2;
    double clip;
    int optimizer;
    float rate;
    double exact_rate;
    float momentum;
    float keep;
} bml_cuda__learner;

/* L2's part of gradient and loss, then the gradient's square. */
static __global__ void __launch_bounds__(BML_CUDA__THREADS) bml_cuda__norm_kernel(const bml_cuda__learner s) {
    double norm = 0;
    double extra = 0;
    BML_CUDA__CELLS(k, s.n) {
        float g = s.g[k];
        float w = s.w[k];
        if (s.l2 > 0 && s.drawn[k]) {
            extra += s.l2 * (double)w * (double)w;
            s.g[k] = g = g + (float)(2 * s.l2) * w;
        }
        norm += (double)g * (double)g;
    }
    norm = bml_cuda__block_sum(norm);
    extra = bml_cuda__block_sum(extra);
    if (threadIdx.x) return;
    s.parts[BML_CUDA__NORM_PART * BML_CUDA__MAX_PARTS + (int)blockIdx.x] = norm;
    s.parts[BML_CUDA__L2_PART * BML_CUDA__MAX_PARTS + (int)blockIdx.x] = extra;
}

static __device__ double bml_cuda__part_sum(const double *parts, int which, int n) {
    double v = 0;
    for (int i = (int)threadIdx.x; i < n; i += BML_CUDA__THREADS)
        v += parts[which * BML_CUDA__MAX_PARTS + i];
    return bml_cuda__block_sum(v);
}

/* One block: the batch's loss (of n_loss parts; 0: as given), its norm (n_norm parts; 0: only judged). */
static __global__ void __launch_bounds__(BML_CUDA__THREADS)
    bml_cuda__tally_kernel(const bml_cuda__learner s, int n_loss, int n_norm, ptrdiff_t rows) {
    double loss = bml_cuda__part_sum(s.parts, BML_CUDA__LOSS_PART, n_loss);
    double right = bml_cuda__part_sum(s.parts, BML_CUDA__RIGHT_PART, n_loss);
    double norm = sqrt(bml_cuda__part_sum(s.parts, BML_CUDA__NORM_PART, n_norm));
    double extra = bml_cuda__part_sum(s.parts, BML_CUDA__L2_PART, n_norm);
    bml_cuda__tally *t = s.tally;
    if (threadIdx.x) return;
    t->rows += (double)rows;
    if (n_norm) {
        bml_cuda__next_step(t, s.exact_rate);
    }
    if (t->failed) return;
    double total = t->total > 0 ? t->total : 1;
    loss = n_loss ? loss / total : t->given;
    loss += extra;
    t->failed = n_norm && (!(fabs(loss) <= DBL_MAX) || !(norm <= DBL_MAX));
    t->factor = s.clip > 0 && norm > s.clip ? (float)(s.clip / norm) : 1;
    t->loss += t->total * loss;
    t->weight += t->total;
    t->right += right;
    t->norm += norm;
    t->batches += 1;
}

/* One step of the optimiser, as bml_nn__update. */
struct bml_cuda__update {
    bml_cuda__learner s;
    __device__ void operator()(ptrdiff_t k) const {
        float d = s.tally->factor * s.g[k];
        if (s.tally->failed) return;
        if (s.optimizer == BML_NN_SGD) {
            s.m[k] = s.momentum * s.m[k] + d;
            s.w[k] -= s.rate * s.m[k];
        } else if (s.optimizer == BML_NN_RMSPROP) {
            s.v[k] = 0.99f * s.v[k] + 0.01f * d * d;
            s.w[k] -= s.rate * d / (sqrtf(s.v[k]) + 1e-8f);
        } else {
            s.m[k] = 0.9f * s.m[k] + 0.1f * d;
            s.v[k] = 0.999f * s.v[k] + 0.001f * d * d;
            s.w[k] = s.w[k] * s.keep - s.tally->a * s.m[k] / (sqrtf(s.v[k]) * s.tally->c + 1e-8f);
        }
    }
};

#ifdef BML_CUDA_CUBLASLT
/* >> training: large products, by cuBLASLt
   The library counts columns first: to it our C = A B is C' = B' A', B' being what B is in memory. Descriptors are on
   the stack, and what the library answers for a shape is kept, so that a step after the first allocates nothing. */

#ifndef BML_CUDA__LARGE /* multiply-adds */
#define BML_CUDA__LARGE 16777216.0
#endif
enum { BML_CUDA__SHAPES = 64 }; /* kept; a net of many layers asks for the others again */

typedef struct bml_cuda__laid {
    int64_t rows;
    int64_t cols;
    int64_t ld;
    uint32_t aligned; /* bytes */
    uint32_t turned;
} bml_cuda__laid;

typedef struct bml_cuda__answer {
    bml_cuda__laid of[3]; /* B', A', C' */
    int none;             /* the library has no algorithm */
    cublasLtMatmulAlgo_t algo;
} bml_cuda__answer;

typedef struct bml_cuda__library {
    cublasLtHandle_t handle;
    void *workspace;
    size_t bytes;
    cublasStatus_t failed; /* the first time since it was asked */
    int n;                 /* answers kept, */
    int next;              /* and where the next one goes */
    bml_cuda__answer kept[BML_CUDA__SHAPES];
} bml_cuda__library;

static int bml_cuda__library_status(bml_cuda *cuda, cublasStatus_t failed) {
    if (failed == CUBLAS_STATUS_SUCCESS) {
        return BML_CUDA_OK;
    }
    int status = failed == CUBLAS_STATUS_ALLOC_FAILED ? BML_CUDA_NO_MEMORY : BML_CUDA_RUNTIME;
    return bml_cuda__fail(cuda, status, "cuBLASLt: %s", cublasLtGetStatusString(failed));
}

static int bml_cuda__library_open(bml_cuda__library *l, bml_cuda__buffers *memory) {
    l->bytes = (size_t)(memory->cuda->capability >= 90 ? 32 : 4) << 20;
    l->workspace = bml_cuda__buffer(memory, NULL, (ptrdiff_t)l->bytes, 1);
    if (memory->status) return memory->status;
    return bml_cuda__library_status(memory->cuda, cublasLtCreate(&l->handle));
}

static void bml_cuda__library_close(bml_cuda__library *l) {
    if (l->handle) {
        cublasLtDestroy(l->handle);
    }
}

/* The largest power of two, up to 256, that divides the address. */
static uint32_t bml_cuda__alignment(const void *p) {
    uint32_t low = (uint32_t)((uintptr_t)p & 255);
    return low ? low & (~low + 1) : 256;
}

/* The transpose of m[rows][cols] as columns; 0 where neither its rows nor its columns lie together. */
static int bml_cuda__as_columns(bml_cuda__laid *s, const bml_nn__mat &m, ptrdiff_t rows, ptrdiff_t cols) {
    s->turned = m.cs != 1;
    s->rows = s->turned ? rows : cols;
    s->cols = s->turned ? cols : rows;
    s->ld = s->turned ? m.cs : m.rs;
    s->aligned = bml_cuda__alignment(m.p);
    if (s->turned && m.rs != 1) {
        return 0;
    }
    return s->ld >= s->rows;
}

typedef struct bml_cuda__descriptors {
    cublasLtMatmulDescOpaque_t product;
    cublasLtMatrixLayoutOpaque_t of[3];
} bml_cuda__descriptors;

static cublasStatus_t bml_cuda__describe(bml_cuda__descriptors *d, const bml_cuda__laid *of, int tf32) {
    cublasOperation_t turned[2];
    cublasComputeType_t how = tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    for (int i = 0; i < 2; i++)
        turned[i] = of[i].turned ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasStatus_t e = cublasLtMatmulDescInit(&d->product, how, CUDA_R_32F);
    if (!e) {
        e = cublasLtMatmulDescSetAttribute(&d->product, CUBLASLT_MATMUL_DESC_TRANSA, &turned[0], sizeof turned[0]);
    }
    if (!e) {
        e = cublasLtMatmulDescSetAttribute(&d->product, CUBLASLT_MATMUL_DESC_TRANSB, &turned[1], sizeof turned[1]);
    }
    for (int i = 0; i < 3 && !e; i++)
        e = cublasLtMatrixLayoutInit(&d->of[i], CUDA_R_32F, (uint64_t)of[i].rows, (uint64_t)of[i].cols, of[i].ld);
    return e;
}

/* What the library may do: with our workspace, these addresses, and sums in an order that is always the same. */
static cublasStatus_t bml_cuda__prefer(cublasLtMatmulPreferenceOpaque_t *wish, const bml_cuda__laid *of,
                                       uint64_t bytes) {
    static const cublasLtMatmulPreferenceAttributes_t alignment[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
    };
    uint32_t sums = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE;
    cublasStatus_t e = cublasLtMatmulPreferenceInit(wish);
    if (!e) {
        e = cublasLtMatmulPreferenceSetAttribute(wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof bytes);
    }
    if (!e) {
        e = cublasLtMatmulPreferenceSetAttribute(wish, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &sums, sizeof sums);
    }
    for (int i = 0; i < 4 && !e; i++) { /* D is C */
        const uint32_t *aligned = &of[BML_CUDA__MIN(i, 2)].aligned;
        e = cublasLtMatmulPreferenceSetAttribute(wish, alignment[i], aligned, sizeof *aligned);
    }
    return e;
}

/* The algorithm for these shapes; NULL after an error. */
static const bml_cuda__answer *bml_cuda__ask(bml_cuda__library *l, bml_cuda__descriptors *d, const bml_cuda__laid *of) {
    for (int i = 0; i < l->n; i++)
        if (!memcmp(l->kept[i].of, of, sizeof l->kept[i].of)) {
            return &l->kept[i];
        }
    cublasLtMatmulPreferenceOpaque_t wish;
    cublasLtMatmulHeuristicResult_t found;
    int n_found = 0;
    l->failed = bml_cuda__prefer(&wish, of, l->bytes);
    if (l->failed) {
        return NULL;
    }
    cublasStatus_t e = cublasLtMatmulAlgoGetHeuristic(l->handle, &d->product, &d->of[0], &d->of[1], &d->of[2],
                                                      &d->of[2], &wish, 1, &found, &n_found);
    if (e && e != CUBLAS_STATUS_NOT_SUPPORTED) {
        l->failed = e;
        return NULL;
    }
    bml_cuda__answer *answer = &l->kept[l->next];
    memcpy(answer->of, of, sizeof answer->of);
    answer->none = e || n_found < 1 || found.state;
    if (!answer->none) {
        answer->algo = found.algo;
    }
    l->next = (l->next + 1) % BML_CUDA__SHAPES;
    l->n = BML_CUDA__MAX(l->n, l->next);
    if (!l->next) {
        l->n = BML_CUDA__SHAPES;
    }
    return answer;
}

/* 1: the library multiplies, or has failed, which is told at the end of the step; 0: it is not for this product. */
static int bml_cuda__multiply_large(bml_cuda__library *l, const bml_cuda__factors *f, int tf32,
                                    bml_cuda_stream stream) {
    bml_cuda__laid of[3];
    bml_cuda__descriptors d;
    float one = 1;
    float before = f->add ? 1 : 0;
    bml_nn__mat c = {f->c, f->ldc, 1};
    memset(of, 0, sizeof of);
    if (!((double)f->m * f->n * f->depth >= BML_CUDA__LARGE)) {
        return 0;
    }
    if (!bml_cuda__as_columns(&of[0], f->b, f->depth, f->n) || !bml_cuda__as_columns(&of[1], f->a, f->m, f->depth) ||
        !bml_cuda__as_columns(&of[2], c, f->m, f->n))
        return 0;
    if (l->failed) {
        return 1;
    }
    l->failed = bml_cuda__describe(&d, of, tf32);
    const bml_cuda__answer *answer = l->failed ? NULL : bml_cuda__ask(l, &d, of);
    if (!answer) {
        return 1;
    }
    if (answer->none) {
        return 0;
    }
    l->failed = cublasLtMatmul(l->handle, &d.product, &one, f->b.p, &d.of[0], f->a.p, &d.of[1], &before, f->c, &d.of[2],
                               f->c, &d.of[2], &answer->algo, l->workspace, l->bytes, (cudaStream_t)stream);
    return 1;
}
#endif

/* >> training: layers
   What each layer of bml_nn.h does with its rows, forward and back, as launches on one stream. */

struct bml_cuda_trainer {
    bml_cuda *cuda;
    bml_nn *host;        /* as read: shapes, tensors */
    bml_nn net;          /* the same with weights and scalers on the device */
    bml_nn__lane lane;   /* a batch's memory, on the device but for the three lists of addresses */
    bml_nn_training how; /* with the defaults filled in */
    bml_cuda__learner learner;
    bml_cuda_stream stream;   /* of the present call */
    bml_cuda__buffers memory; /* all that is on the device */
    int tf32;
    int batch;  /* its most rows */
    int n_loss; /* parts of the last loss */
#ifdef BML_CUDA_CUBLASLT
    bml_cuda__library library;
#endif
};

template <typename Op> static void bml_cuda__each(bml_cuda_trainer *t, ptrdiff_t n, const Op &op) {
    ptrdiff_t blocks = (n + BML_CUDA__THREADS - 1) / BML_CUDA__THREADS;
    ptrdiff_t most = 8 * t->cuda->multiprocessors;
    if (!n) return;
    unsigned grid = (unsigned)(blocks < most ? blocks : most);
    bml_cuda__launch(t->cuda, grid, 0, t->stream, bml_cuda__each_kernel<Op>, n, op);
}

/* C = A B, or C += A B; arguments as of bml_nn__product. */
static void bml_cuda__multiply(bml_cuda_trainer *t, float *c, ptrdiff_t ldc, bml_nn__mat a, bml_nn__mat b, ptrdiff_t m,
                               ptrdiff_t n, ptrdiff_t depth, int add) {
    const ptrdiff_t tile = BML_CUDA__TILE;
    unsigned grid = (unsigned)((m + tile - 1) / tile * ((n + tile - 1) / tile));
    bml_cuda__factors f;
    f.c = c;
    f.a = a;
    f.b = b;
    f.ldc = ldc;
    f.m = (int)m;
    f.n = (int)n;
    f.depth = (int)depth;
    f.add = add;
#ifdef BML_CUDA_CUBLASLT
    if (bml_cuda__multiply_large(&t->library, &f, t->tf32, t->stream)) return;
#endif
    if (t->tf32) {
        bml_cuda__launch(t->cuda, grid, 0, t->stream, bml_cuda__product_kernel<1>, f);
    } else {
        bml_cuda__launch(t->cuda, grid, 0, t->stream, bml_cuda__product_kernel<0>, f);
    }
}

static void bml_cuda__zero(bml_cuda_trainer *t, float *to, ptrdiff_t n) {
    cudaMemsetAsync(to, 0, bml_cuda__bytes(n, sizeof *to), (cudaStream_t)t->stream);
}

static void bml_cuda__column_sums(bml_cuda_trainer *t, float *sums, const float *d, ptrdiff_t rows, ptrdiff_t width) {
    unsigned grid = (unsigned)((width + 31) / 32);
    bml_cuda__launch(t->cuda, grid, 0, t->stream, bml_cuda__column_kernel, sums, d, rows, width);
}

/* to[rows][to_width] (+)= from[rows][from_width], w columns. */
static void bml_cuda__move_columns(bml_cuda_trainer *t, float *to, ptrdiff_t to_width, const float *from,
                                   ptrdiff_t from_width, ptrdiff_t rows, ptrdiff_t w, int add) {
    bml_cuda__columns op = {to, from, to_width, from_width, w, add};
    bml_cuda__each(t, rows * w, op);
}

static void bml_cuda__activation(bml_cuda_trainer *t, int i, int back) {
    const bml_nn__node *n = &t->net.nodes[i];
    ptrdiff_t rows = (ptrdiff_t)n->steps * t->lane.b;
    ptrdiff_t w = n->out;
    ptrdiff_t cells = n->spec.activation == BML_NN_SOFTMAX ? rows : rows * w;
    float *keep = bml_nn__activations[n->spec.activation].needs_x ? t->lane.cache[i] : NULL;
    bml_cuda__apply there = {t->lane.out[i],      keep, bml_nn__param(&t->net, i, 1), w, n->spec.activation,
                             (float)n->spec.slope};
    bml_cuda__unapply again = {t->lane.d[i], t->lane.out[i], keep, w, n->spec.activation, (float)n->spec.slope};
    if (back) {
        bml_cuda__each(t, cells, again);
    } else {
        bml_cuda__each(t, cells, there);
    }
}

static void bml_cuda__dense_pass(bml_cuda_trainer *t, int i, int back) {
    const bml_nn__node *n = &t->net.nodes[i];
    const bml_nn__lane *l = &t->lane;
    ptrdiff_t rows = (ptrdiff_t)n->steps * l->b;
    ptrdiff_t in = n->in;
    ptrdiff_t out = n->out;
    const float *x = l->out[n->from[0]];
    const float *w = bml_nn__param(&t->net, i, 0);
    float *d = l->d[i];
    if (!back) {
        bml_cuda__multiply(t, l->out[i], out, bml_nn__rows(x, in), bml_nn__rows(w, out), rows, out, in, 0);
    }
    bml_cuda__activation(t, i, back);
    if (!back) return;
    bml_cuda__multiply(t, bml_nn__grad(&t->net, l, i, 0), out, bml_nn__cols(x, in), bml_nn__rows(d, out), in, out, rows,
                       0);
    bml_cuda__column_sums(t, bml_nn__grad(&t->net, l, i, 1), d, rows, out);
    if (bml_nn__wants(&t->net, l, n, 0)) {
        bml_cuda__multiply(t, l->d[n->from[0]], in, bml_nn__rows(d, out), bml_nn__cols(w, out), rows, in, out,
                           !n->fresh[0]);
    }
}

/* A convolution: steps lie one after another, so that each of its taps is a product of a run of steps, of all that
   have something under that tap where the stride is 1, else of one. */
static void bml_cuda__tap_pass(bml_cuda_trainer *t, int i, int k, int back) {
    const bml_nn__node *n = &t->net.nodes[i];
    const bml_nn__lane *l = &t->lane;
    int S = n->spec.stride;
    int pad = n->spec.same ? (n->steps - 1) * S + n->spec.kernel - n->in_steps : 0;
    int first = 1;
    ptrdiff_t b = l->b;
    ptrdiff_t in = n->in;
    ptrdiff_t out = n->out;
    const float *w = bml_nn__param(&t->net, i, 0) + (ptrdiff_t)k * in * out;
    float *g = bml_nn__grad(&t->net, l, i, 0) + (ptrdiff_t)k * in * out;
    pad = pad > 0 ? pad / 2 : 0;
    for (int s = 0, end; s < n->steps; s = end) {
        int at = s * S + k - pad;
        end = s + 1;
        if (at < 0 || at >= n->in_steps) continue;
        while (S == 1 && end < n->steps && at + end - s < n->in_steps)
            end++;
        ptrdiff_t rows = (ptrdiff_t)(end - s) * b;
        ptrdiff_t from = (ptrdiff_t)at * b * in;
        ptrdiff_t to = (ptrdiff_t)s * b * out;
        bml_nn__mat x = bml_nn__rows(l->out[n->from[0]] + from, in);
        bml_nn__mat y = bml_nn__rows(l->d[i] + to, out);
        if (!back) {
            bml_cuda__multiply(t, l->out[i] + to, out, x, bml_nn__rows(w, out), rows, out, in, 1);
        } else {
            bml_cuda__multiply(t, g, out, bml_nn__cols(x.p, in), y, in, out, rows, !first);
        }
        if (back && bml_nn__wants(&t->net, l, n, 0)) {
            bml_cuda__multiply(t, l->d[n->from[0]] + from, in, y, bml_nn__cols(w, out), rows, in, out, 1);
        }
        first = 0;
    }
    if (back && first) {
        bml_cuda__zero(t, g, in * out); /* a tap that meets nothing but padding */
    }
}

static void bml_cuda__conv_pass(bml_cuda_trainer *t, int i, int back) {
    const bml_nn__node *n = &t->net.nodes[i];
    const bml_nn__lane *l = &t->lane;
    ptrdiff_t b = l->b;
    ptrdiff_t rows = (ptrdiff_t)n->steps * b;
    ptrdiff_t in = (ptrdiff_t)n->in_steps * b * n->in;
    if (!back) {
        bml_cuda__zero(t, l->out[i], rows * n->out);
    } else {
        bml_cuda__activation(t, i, 1);
        bml_cuda__column_sums(t, bml_nn__grad(&t->net, l, i, 1), l->d[i], rows, n->out);
        if (bml_nn__wants(&t->net, l, n, 0) && n->fresh[0]) {
            bml_cuda__zero(t, l->d[n->from[0]], in);
        }
    }
    for (int k = 0; k < n->spec.kernel; k++)
        bml_cuda__tap_pass(t, i, k, back);
    if (!back) {
        bml_cuda__activation(t, i, 0);
    }
}

static void bml_cuda__pool_pass(bml_cuda_trainer *t, int i, int back) {
    const bml_nn__node *n = &t->net.nodes[i];
    const bml_nn__lane *l = &t->lane;
    ptrdiff_t step = (ptrdiff_t)l->b * n->in;
    float *dx = l->d[n->from[0]];
    bml_cuda__pool op = {l->out[i], l->d[i],  back ? dx : NULL, l->out[n->from[0]],
                         step,      n->steps, n->spec.kernel,   n->spec.stride};
    if (back && !bml_nn__wants(&t->net, l, n, 0)) return;
    if (back && n->fresh[0]) {
        bml_cuda__zero(t, dx, (ptrdiff_t)n->in_steps * step);
    }
    bml_cuda__each(t, step, op);
}

static void bml_cuda__dropout_pass(bml_cuda_trainer *t, int i, int back) {
    const bml_nn__node *n = &t->net.nodes[i];
    const bml_nn__lane *l = &t->lane;
    ptrdiff_t all = (ptrdiff_t)n->steps * n->out;
    ptrdiff_t cells = bml_nn__cells(n, l);
    const float *m = l->mode == BML_NN__PLAIN ? NULL : l->cache[i];
    bml_cuda__times there = {l->out[i], l->out[n->from[0]], m, 0};
    bml_cuda__times again = {l->d[n->from[0]], l->d[i], m, !n->fresh[0]};
    if (back && bml_nn__wants(&t->net, l, n, 0)) {
        bml_cuda__each(t, cells, again);
    }
    if (back) return;
    if (m) {
        bml_cuda__masks masks = {l->cache[i],
                                 (ptrdiff_t)l->b,
                                 (ptrdiff_t)n->out,
                                 all,
                                 (uint32_t)i,
                                 &t->learner.tally->step,
                                 (uint32_t)(n->spec.rate * 4294967295.0),
                                 {(uint32_t)l->seed, (uint32_t)(l->seed >> 32)},
                                 (float)(1 / (1 - n->spec.rate))};
        bml_cuda__each(t, (ptrdiff_t)l->b * ((all + 3) / 4), masks);
    }
    bml_cuda__each(t, cells, there);
}

/* Flatten, reshape, concat, add. */
static void bml_cuda__shape_pass(bml_cuda_trainer *t, int i, int back) {
    const bml_nn__node *n = &t->net.nodes[i];
    const bml_nn__lane *l = &t->lane;
    ptrdiff_t b = l->b;
    ptrdiff_t out = n->out;
    ptrdiff_t rows = (ptrdiff_t)n->steps * b;
    ptrdiff_t at = 0;
    for (int k = 0; k < n->n_from; k++) {
        int from = n->from[k];
        int add = !n->fresh[k];
        int concat = n->spec.kind == BML_NN_CONCAT;
        ptrdiff_t w = t->net.nodes[from].out;
        if (back && !bml_nn__wants(&t->net, l, n, k)) {
        } else if (n->spec.kind == BML_NN_FLATTEN || n->spec.kind == BML_NN_RESHAPE) {
            bml_cuda__reorder there = {l->out[i], l->out[from], b, w, out, (ptrdiff_t)n->steps * out, 0};
            bml_cuda__reorder again = {l->d[from], l->d[i], b, out, w, (ptrdiff_t)n->steps * out, add};
            bml_cuda__each(t, rows * out, back ? again : there);
        } else if (back) {
            bml_cuda__move_columns(t, l->d[from], w, l->d[i] + at, out, rows, w, add);
        } else {
            bml_cuda__move_columns(t, l->out[i] + at, out, l->out[from], w, rows, w, !concat && k);
        }
        at += concat ? w : 0;
    }
}

/* Step s of a cell's n->in_steps: which slot, and the addresses there. */
static bml_cuda__moment bml_cuda__moment_at(ptrdiff_t *slot, const bml_nn__node *n, const bml_nn__cell *k,
                                            ptrdiff_t s) {
    ptrdiff_t at = k->reverse ? (ptrdiff_t)k->steps - 1 - s : s;
    ptrdiff_t b = k->b;
    ptrdiff_t u = k->units;
    ptrdiff_t G = u * k->gates;
    ptrdiff_t before = (k->reverse ? at + 1 : at) * b * u;
    ptrdiff_t after = (k->reverse ? at : at + 1) * b * u;
    bml_cuda__moment m;
    memset(&m, 0, sizeof m);
    m.first = s == 0;
    m.activation = n->spec.activation;
    m.gates = k->gates;
    m.u = u;
    m.bias = k->bias;
    m.before = k->h + before;
    m.c_before = k->c + before;
    m.h = k->h + after;
    m.c = k->c + after;
    m.g = k->g + at * b * G;
    m.aux = k->aux + at * b * u;
    m.t = k->t;
    m.d = k->dg + at * b * G;
    m.e = k->dt + at * b * G;
    m.dh = k->dh;
    m.dc = k->dc;
    *slot = at;
    return m;
}

static void bml_cuda__moment_run(bml_cuda_trainer *t, bml_cuda__moment *m, int what) {
    m->what = what;
    bml_cuda__each(t, (ptrdiff_t)t->lane.b * m->u, *m);
}

static void bml_cuda__cell_forward(bml_cuda_trainer *t, const bml_nn__node *n, const bml_nn__cell *k, ptrdiff_t s) {
    ptrdiff_t b = k->b;
    ptrdiff_t u = k->units;
    ptrdiff_t G = u * k->gates;
    ptrdiff_t slot;
    bml_cuda__moment m = bml_cuda__moment_at(&slot, n, k, s);
    const bml_nn__mat H = bml_nn__rows(m.before, u);
    const bml_nn__mat R = bml_nn__rows(k->r, G);
    int two_sided = bml_nn__two_sided(&n->spec);
    int gru = n->spec.kind == BML_NN_GRU;
    if (s) {
        float *to = two_sided ? k->t : m.g;
        ptrdiff_t wide = gru && !two_sided ? 2 * u : G;
        bml_cuda__multiply(t, to, G, H, R, b, wide, u, !two_sided);
    }
    if (two_sided) {
        bml_cuda__moment_run(t, &m, BML_CUDA__GRU_STEP);
    } else if (gru) {
        bml_cuda__moment_run(t, &m, BML_CUDA__GRU_GATES);
        if (s) {
            bml_cuda__multiply(t, m.g + 2 * u, G, bml_nn__rows(m.aux, u), bml_nn__rows(k->r + 2 * u, G), b, u, u, 1);
        }
        bml_cuda__moment_run(t, &m, BML_CUDA__GRU_STATE);
    } else {
        bml_cuda__moment_run(t, &m, n->spec.kind == BML_NN_LSTM ? BML_CUDA__LSTM_STEP : BML_CUDA__RNN_STEP);
    }
}

/* above: the derivative by what the layer gave at this step, or NULL. */
static void bml_cuda__cell_backward(bml_cuda_trainer *t, const bml_nn__node *n, const bml_nn__cell *k, ptrdiff_t s,
                                    const float *above) {
    ptrdiff_t b = k->b;
    ptrdiff_t u = k->units;
    ptrdiff_t G = u * k->gates;
    ptrdiff_t slot;
    bml_cuda__moment m = bml_cuda__moment_at(&slot, n, k, s);
    int reset_before = n->spec.kind == BML_NN_GRU && n->spec.reset_before;
    m.above = above;
    m.above_width = n->out;
    if (reset_before) {
        bml_cuda__moment_run(t, &m, BML_CUDA__GRU_STATE_BACK);
        m.above = NULL;
        bml_cuda__multiply(t, k->t, u, bml_nn__rows(m.d + 2 * u, G), bml_nn__cols(k->r + 2 * u, G), b, u, u, 0);
        bml_cuda__moment_run(t, &m, BML_CUDA__GRU_GATES_BACK);
    } else {
        int what = BML_CUDA__RNN_BACK;
        if (n->spec.kind == BML_NN_LSTM) {
            what = BML_CUDA__LSTM_BACK;
        } else if (n->spec.kind == BML_NN_GRU) {
            what = BML_CUDA__GRU_BACK;
        }
        bml_cuda__moment_run(t, &m, what);
    }
    if (s) {
        bml_cuda__multiply(t, k->dh, u, bml_nn__rows(m.e, G), bml_nn__cols(k->r, G), b, u, reset_before ? 2 * u : G, 1);
    }
}

/* Gradients of a cell's tensors, from the derivatives by all gates at all steps. */
static void bml_cuda__cell_gradients(bml_cuda_trainer *t, int i, const bml_nn__cell *k) {
    const bml_nn__node *n = &t->net.nodes[i];
    ptrdiff_t b = k->b;
    ptrdiff_t u = k->units;
    ptrdiff_t G = u * k->gates;
    ptrdiff_t in = k->in;
    ptrdiff_t rows = (ptrdiff_t)k->steps * b;
    float *gw = bml_nn__grad(&t->net, &t->lane, i, k->reverse * 3);
    float *gr = bml_nn__grad(&t->net, &t->lane, i, k->reverse * 3 + 1);
    float *gb = bml_nn__grad(&t->net, &t->lane, i, k->reverse * 3 + 2);
    const bml_nn__mat H = bml_nn__cols(k->h + (k->reverse ? b * u : 0), u); /* the state before every step */
    int reset_before = n->spec.kind == BML_NN_GRU && n->spec.reset_before;
    bml_cuda__multiply(t, gw, G, bml_nn__cols(t->lane.out[n->from[0]], in), bml_nn__rows(k->dg, G), in, G, rows, 0);
    bml_cuda__multiply(t, gr, G, H, bml_nn__rows(k->dt, G), u, reset_before ? 2 * u : G, rows, 0);
    if (reset_before) {
        bml_cuda__multiply(t, gr + 2 * u, G, bml_nn__cols(k->aux, u), bml_nn__rows(k->dg + 2 * u, G), u, u, rows, 0);
    }
    bml_cuda__column_sums(t, gb, k->dg, rows, G);
    if (bml_nn__two_sided(&n->spec)) {
        bml_cuda__column_sums(t, gb + G, k->dt, rows, G);
    }
}

static void bml_cuda__recurrent_forward(bml_cuda_trainer *t, int i) {
    const bml_nn__node *n = &t->net.nodes[i];
    const bml_nn__lane *l = &t->lane;
    ptrdiff_t b = l->b;
    ptrdiff_t T = n->in_steps;
    ptrdiff_t u = n->spec.units;
    ptrdiff_t out = n->out;
    for (int reverse = 0; reverse <= n->spec.bidirectional; reverse++) {
        bml_nn__cell k = bml_nn__cell_of(&t->net, l, i, reverse);
        ptrdiff_t G = u * k.gates;
        ptrdiff_t zero = reverse ? T * b * u : 0;
        ptrdiff_t last = reverse ? 0 : T * b * u;
        bml_cuda__multiply(t, k.g, G, bml_nn__rows(l->out[n->from[0]], k.in), bml_nn__rows(k.w, G), T * b, G,
                           (ptrdiff_t)k.in, 0);
        bml_cuda__zero(t, k.h + zero, b * u);
        if (n->spec.kind == BML_NN_LSTM) {
            bml_cuda__zero(t, k.c + zero, b * u);
        }
        for (ptrdiff_t s = 0; s < T; s++)
            bml_cuda__cell_forward(t, n, &k, s);
        const float *h = k.h + last; /* all states, or the last one */
        ptrdiff_t rows = b;
        if (n->spec.sequence) {
            h = reverse ? k.h : k.h + b * u;
            rows = T * b;
        }
        bml_cuda__move_columns(t, l->out[i] + reverse * u, out, h, u, rows, u, 0);
    }
}

static void bml_cuda__recurrent_backward(bml_cuda_trainer *t, int i) {
    const bml_nn__node *n = &t->net.nodes[i];
    const bml_nn__lane *l = &t->lane;
    ptrdiff_t b = l->b;
    ptrdiff_t T = n->in_steps;
    ptrdiff_t u = n->spec.units;
    ptrdiff_t out = n->out;
    for (int reverse = 0; reverse <= n->spec.bidirectional; reverse++) {
        bml_nn__cell k = bml_nn__cell_of(&t->net, l, i, reverse);
        ptrdiff_t G = u * k.gates;
        ptrdiff_t in = k.in;
        bml_cuda__zero(t, k.dh, b * u);
        bml_cuda__zero(t, k.dc, b * u);
        for (ptrdiff_t s = T; s-- > 0;) {
            ptrdiff_t step = reverse ? T - 1 - s : s;
            ptrdiff_t at = n->spec.sequence ? step * b * out : 0;
            const float *above = l->d[i] + at + (ptrdiff_t)reverse * u;
            bml_cuda__cell_backward(t, n, &k, s, n->spec.sequence || s == T - 1 ? above : NULL);
        }
        bml_cuda__cell_gradients(t, i, &k);
        if (bml_nn__wants(&t->net, l, n, 0)) {
            bml_cuda__multiply(t, l->d[n->from[0]], in, bml_nn__rows(k.dg, G), bml_nn__cols(k.w, G), T * b, in, G,
                               reverse || !n->fresh[0]);
        }
    }
}

static void bml_cuda__layer_pass(bml_cuda_trainer *t, int i, int back) {
    switch (t->net.nodes[i].spec.kind) {
    case BML_NN_DENSE: bml_cuda__dense_pass(t, i, back); break;
    case BML_NN_CONV: bml_cuda__conv_pass(t, i, back); break;
    case BML_NN_POOL: bml_cuda__pool_pass(t, i, back); break;
    case BML_NN_DROPOUT: bml_cuda__dropout_pass(t, i, back); break;
    case BML_NN_GRU:
    case BML_NN_LSTM:
    case BML_NN_RNN:
        if (back) {
            bml_cuda__recurrent_backward(t, i);
        } else {
            bml_cuda__recurrent_forward(t, i);
        }
        break;
    default: bml_cuda__shape_pass(t, i, back);
    }
}

/* >> training: the host's side */

static int bml_cuda__trains(int kind) {
    return kind != BML_NN_BATCH_NORM && kind != BML_NN_LAYER_NORM && kind != BML_NN_BAYES;
}

/* Memory of a batch of t->batch rows: lists of addresses on the host, what they point at on the device. */
static int bml_cuda__trainer_lane(bml_cuda_trainer *t) {
    const bml_nn *net = t->host;
    ptrdiff_t rows = t->batch;
    ptrdiff_t nodes = net->n_nodes;
    ptrdiff_t scratch = 0;
    bml_nn__lane *l = &t->lane;
    for (int i = 0; i < net->n_nodes; i++) {
        const bml_nn__node *n = &net->nodes[i];
        ptrdiff_t s = (ptrdiff_t)(n->scratch + 1) * rows;
        int steps = n->steps > n->in_steps ? n->steps : n->in_steps;
        int width = n->out > n->in ? n->out : n->in;
        if (!bml_cuda__trains(n->spec.kind))
            return bml_cuda__refuse_layer(t->cuda, net, i, "this kind is trained on the CPU only");
        if (bml_cuda__beyond(n)) {
            return bml_cuda__refuse_layer(t->cuda, net, i, bml_cuda__beyond(n));
        }
        if ((double)steps * t->batch * width > 2e9) {
            return BML_CUDA_TOO_LARGE; /* rows are counted by int */
        }
        scratch = s > scratch ? s : scratch;
    }
    ptrdiff_t forward;
    ptrdiff_t backward;
    if (!bml_nn__lane_reals(&forward, net, t->batch, BML_NN__FORWARD) ||
        !bml_nn__lane_reals(&backward, net, t->batch, BML_NN__BACKWARD))
        return BML_CUDA_TOO_LARGE;
    float *at;
    at = (float *)bml_cuda__buffer(&t->memory, NULL, forward + backward + scratch, sizeof *at);
    l->out = (float **)bml_nn__alloc(nodes, sizeof *l->out);
    l->d = (float **)bml_nn__alloc(nodes, sizeof *l->d);
    l->cache = (float **)bml_nn__alloc(nodes, sizeof *l->cache);
    if (!at || !l->out || !l->d || !l->cache) {
        return t->memory.status ? t->memory.status : BML_CUDA_NO_MEMORY;
    }
    for (int i = 0; i < net->n_nodes; i++) {
        const bml_nn__node *n = &net->nodes[i];
        ptrdiff_t out = (ptrdiff_t)n->steps * n->out * rows;
        l->out[i] = at;
        l->d[i] = at + out;
        l->cache[i] = at + 2 * out;
        at += 2 * out + (n->cache + n->dcache) * rows + n->cache_fixed;
    }
    l->scratch = at;
    return BML_CUDA_OK;
}

/* Which weights L2 draws at: kernels, not biases. */
static int bml_cuda__trainer_drawn(bml_cuda_trainer *t) {
    unsigned char *drawn = (unsigned char *)calloc((size_t)t->host->n_params + 1, 1);
    if (!drawn) {
        return BML_CUDA_NO_MEMORY;
    }
    for (int i = 0; i < t->host->n_tensors; i++) {
        const bml_nn__tensor *s = &t->host->tensors[i];
        if (s->start == BML_NN__KERNEL || s->start == BML_NN__ORTHOGONAL) {
            memset(drawn + s->offset, 1, (size_t)s->count);
        }
    }
    t->learner.drawn = (unsigned char *)bml_cuda__buffer(&t->memory, drawn, t->host->n_params, 1);
    if (!t->memory.status) {
        t->memory.status = bml_cuda_wait(NULL, t->cuda);
    }
    free(drawn);
    return t->memory.status;
}

static int bml_cuda__trainer_memory(bml_cuda_trainer *t) {
    const bml_nn *net = t->host;
    bml_cuda__learner *s = &t->learner;
    ptrdiff_t n = net->n_params;
    ptrdiff_t numbers = BML_CUDA__N_PARTS * BML_CUDA__MAX_PARTS * sizeof(double) + sizeof *s->tally;
    int status = bml_cuda__trainer_lane(t);
    if (!status) {
        status = bml_cuda__trainer_drawn(t);
    }
    if (status) return status;
    s->w = (float *)bml_cuda__buffer(&t->memory, NULL, 4 * n, sizeof *s->w);
    s->tally = (bml_cuda__tally *)bml_cuda__buffer(&t->memory, NULL, numbers, 1);
    for (int which = 0; which < 2; which++) {
        ptrdiff_t wide = which ? net->n_out : net->n_in;
        float *at = net->scale[which] ? (float *)bml_cuda__buffer(&t->memory, NULL, 2 * wide, sizeof *at) : NULL;
        t->net.shift[which] = at;
        t->net.scale[which] = at ? at + wide : NULL;
        if (!at || status) continue;
        size_t bytes = bml_cuda__bytes(wide, sizeof *at);
        bml_cuda_copy shift = {at, net->shift[which], bytes};
        bml_cuda_copy scale = {at + wide, net->scale[which], bytes};
        status = bml_cuda_put(&shift, NULL, t->cuda);
        if (!status) {
            status = bml_cuda_put(&scale, NULL, t->cuda);
        }
    }
    if (!status) {
        status = t->memory.status;
    }
    if (status) return status;
    s->g = s->w + n;
    s->m = s->w + 2 * n;
    s->v = s->w + 3 * n;
    s->n = n;
    s->parts = (double *)(s->tally + 1);
    t->net.params = s->w;
    t->net.running = NULL;
    t->lane.grad = s->g;
    cudaMemsetAsync(s->w, 0, bml_cuda__bytes(4 * n, sizeof *s->w), NULL);
    cudaMemsetAsync(s->tally, 0, sizeof *s->tally, NULL);
    return bml_cuda_trainer_set(net->params, NULL, t);
}

/* Settings, checked as bml_nn.h checks them; the data are not looked at here. */
static int bml_cuda__trainer_settings(bml_cuda_trainer *t) {
    float none = 0;
    bml_nn_training h = t->how;
    h.x = h.y = &none;
    h.n = 1;
    h.n_val = 0;
    h.validation = 0;
    if (bml_nn__check_settings(t->host, &h))
        return bml_cuda__fail(t->cuda, BML_CUDA_BAD_ARGUMENT, "%.200s", t->host->message);
    h.x = t->how.x;
    h.y = t->how.y;
    h.n = t->how.n;
    h.n_val = t->how.n_val;
    h.validation = t->how.validation;
    t->how = h; /* with the defaults */
    t->batch = t->how.batch;
    for (int i = 0; i < t->how.n_batches; i++)
        if (t->how.batches[i].batch > t->batch) {
            t->batch = t->how.batches[i].batch;
        }
    t->learner.l2 = t->how.l2;
    t->learner.clip = t->how.clip;
    t->learner.optimizer = t->how.optimizer;
    t->learner.momentum = (float)t->how.momentum;
    return BML_CUDA_OK;
}

BML_CUDA_DEF int bml_cuda_trainer_create(bml_cuda_trainer **out, const bml_cuda_training *training, bml_cuda *cuda) {
    int status = bml_cuda__enter(cuda);
    if (out) {
        *out = NULL;
    }
    if (status) return status;
    if (!out || !training || !training->how || !training->model.bytes) {
        return BML_CUDA_BAD_ARGUMENT;
    }
    if (training->tf32 && cuda->capability < 80)
        return bml_cuda__fail(cuda, BML_CUDA_BAD_ARGUMENT, "tf32 needs compute capability 8.0");
    bml_cuda_trainer *t;
    t = (bml_cuda_trainer *)calloc(1, sizeof *t);
    if (!t) {
        return BML_CUDA_NO_MEMORY;
    }
    t->cuda = t->memory.cuda = cuda;
    t->how = *training->how;
    t->tf32 = training->tf32;
    char why[BML_NN_MESSAGE];
    int read = bml_nn_decode(&t->host, training->model.bytes, training->model.size, why);
    if (read) {
        status = bml_cuda__fail(cuda, read == BML_NN_NO_MEMORY ? BML_CUDA_NO_MEMORY : BML_CUDA_BAD_MODEL, "%s: %.180s",
                                bml_nn_strerror(read), why);
    } else {
        t->net = *t->host;
        status = bml_cuda__trainer_settings(t);
        if (!status) {
            status = bml_cuda__trainer_memory(t);
        }
#ifdef BML_CUDA_CUBLASLT
        if (!status) {
            status = bml_cuda__library_open(&t->library, &t->memory);
        }
#endif
    }
    if (status) {
        bml_cuda_trainer_free(t);
    } else {
        *out = t;
    }
    return status;
}

BML_CUDA_DEF void bml_cuda_trainer_free(bml_cuda_trainer *t) {
    if (!t) return;
#ifdef BML_CUDA_CUBLASLT
    bml_cuda__library_close(&t->library);
#endif
    bml_cuda__done(&t->memory);
    BML_NN_FREE(t->lane.out);
    BML_NN_FREE(t->lane.d);
    BML_NN_FREE(t->lane.cache);
    bml_nn_free(t->host);
    free(t);
}

BML_CUDA_DEF size_t bml_cuda_trainer_n_weights(const bml_cuda_trainer *t) {
    return t ? (size_t)t->learner.n : 0;
}

BML_CUDA_DEF int bml_cuda_trainer_get(float *weights, bml_cuda_stream stream, bml_cuda_trainer *t) {
    if (!t || !weights) {
        return BML_CUDA_BAD_ARGUMENT;
    }
    bml_cuda_copy copy = {weights, t->learner.w, bml_cuda__bytes(t->learner.n, sizeof *weights)};
    int status = bml_cuda_get(&copy, stream, t->cuda);
    return status ? status : bml_cuda_wait(stream, t->cuda);
}

static int bml_cuda__forget_sums(bml_cuda_stream stream, bml_cuda_trainer *t) {
    cudaError_t error = cudaMemsetAsync(t->learner.tally, 0, bml_cuda__tally_sums(), (cudaStream_t)stream);
    return bml_cuda__check(t->cuda, error, "cudaMemsetAsync");
}

BML_CUDA_DEF int bml_cuda_trainer_set(const float *weights, bml_cuda_stream stream, bml_cuda_trainer *t) {
    if (!t || !weights) {
        return BML_CUDA_BAD_ARGUMENT;
    }
    bml_cuda_copy copy = {t->learner.w, weights, bml_cuda__bytes(t->learner.n, sizeof *weights)};
    int status = bml_cuda_put(&copy, stream, t->cuda);
    if (status) return status;
    status = bml_cuda__forget_sums(stream, t);
    return status ? status : bml_cuda_wait(stream, t->cuda);
}

static void bml_cuda__forward_rows(bml_cuda_trainer *t, const bml_cuda_batch *batch, int mode) {
    bml_nn__lane *l = &t->lane;
    l->b = batch->n;
    l->mode = mode;
    l->seed = t->how.seed;
    l->step = 0; /* the device's: tally->step */
    l->first = 0;
    for (int i = 0; i < t->net.n_nodes; i++) {
        const bml_nn__node *n = &t->net.nodes[i];
        bml_cuda__read op = {l->out[i],       batch->x, t->net.shift[0], t->net.scale[0], batch->index,
                             (ptrdiff_t)l->b, n->out,   t->net.n_in,     n->input_offset};
        if (n->spec.kind == BML_NN_INPUT) {
            bml_cuda__each(t, bml_nn__cells(n, l), op);
        } else {
            bml_cuda__layer_pass(t, i, 0);
        }
    }
}

/* Blocks that sum n > 0 numbers. */
static int bml_cuda__parts_of(ptrdiff_t n) {
    ptrdiff_t blocks = (n - 1) / BML_CUDA__THREADS + 1;
    return blocks < BML_CUDA__MAX_PARTS ? (int)blocks : (int)BML_CUDA__MAX_PARTS;
}

/* The loss of the rows that have just run forward, into `parts`, and its gradient where one is wanted. */
static void bml_cuda__loss_of_rows(bml_cuda_trainer *t, const bml_cuda_batch *batch, int learn) {
    int last = t->net.n_nodes - 1;
    int by_row = bml_nn__by_row(t->how.loss);
    ptrdiff_t b = batch->n;
    ptrdiff_t m = t->net.n_out;
    bml_cuda__loss l = {learn ? t->lane.d[last] : NULL,
                        t->lane.out[last],
                        batch->y,
                        batch->weights,
                        t->net.shift[1],
                        t->net.scale[1],
                        batch->index,
                        b,
                        (ptrdiff_t)t->net.nodes[last].out,
                        m,
                        t->how.loss,
                        t->learner.parts,
                        t->learner.tally};
    t->n_loss = bml_cuda__parts_of(by_row ? b : b * m);
    double each = by_row ? 1.0 : (double)m;
    bml_cuda__launch(t->cuda, 1, 0, t->stream, bml_cuda__weight_kernel, t->learner.tally, batch->weights, batch->index,
                     b, each);
    bml_cuda__launch(t->cuda, (unsigned)t->n_loss, 0, t->stream, bml_cuda__loss_kernel, l);
}

/* The optimiser's numbers for the next step. */
static void bml_cuda__rates_of(bml_cuda_trainer *t, double rate) {
    bml_cuda__learner *s = &t->learner;
    s->rate = (float)rate;
    s->exact_rate = rate;
    s->keep = s->optimizer == BML_NN_ADAMW ? (float)(1 - rate * t->how.weight_decay) : 1;
}

/* Back through the layers from the loss's gradient, and one update; learn = 0: only the loss is counted. */
static int bml_cuda__learn_rows(bml_cuda_trainer *t, double rate, int learn) {
    bml_cuda__learner *s = &t->learner;
    int n_norm = learn ? bml_cuda__parts_of(s->n) : 0;
    bml_cuda__rates_of(t, rate);
    for (int i = t->net.n_nodes - 1; learn && i >= 0; i--)
        if (t->net.nodes[i].spec.kind != BML_NN_INPUT) {
            bml_cuda__layer_pass(t, i, 1);
        }
    if (learn) {
        bml_cuda__launch(t->cuda, (unsigned)n_norm, 0, t->stream, bml_cuda__norm_kernel, *s);
    }
    bml_cuda__launch(t->cuda, 1, 0, t->stream, bml_cuda__tally_kernel, *s, t->n_loss, n_norm, (ptrdiff_t)t->lane.b);
    if (learn) {
        bml_cuda__update op = {*s};
        bml_cuda__each(t, s->n, op);
    }
    int status = bml_cuda__launched(t->cuda, "training kernels");
#ifdef BML_CUDA_CUBLASLT
    cublasStatus_t failed = t->library.failed;
    t->library.failed = CUBLAS_STATUS_SUCCESS;
    if (!status) {
        status = bml_cuda__library_status(t->cuda, failed);
    }
#endif
    return status;
}

static int bml_cuda__rows_run(const bml_cuda_batch *batch, int learn, bml_cuda_stream stream, bml_cuda_trainer *t) {
    int status = t ? bml_cuda__enter(t->cuda) : BML_CUDA_BAD_ARGUMENT;
    if (status) return status;
    if (!batch || !batch->x || !batch->y || batch->n < 1 || batch->n > t->batch || !(batch->rate >= 0))
        return BML_CUDA_BAD_ARGUMENT;
    if (t->how.loss == BML_NN_CUSTOM || t->how.class_weights) {
        return bml_cuda__fail(t->cuda, BML_CUDA_BAD_ARGUMENT,
                              "this loss is worked out on the host: bml_cuda_train_host");
    }
    t->stream = stream;
    bml_cuda__forward_rows(t, batch, learn ? BML_NN__TRAIN : BML_NN__PLAIN);
    bml_cuda__loss_of_rows(t, batch, learn);
    return bml_cuda__learn_rows(t, batch->rate > 0 ? batch->rate : t->how.learning_rate, learn);
}
BML_CUDA_DEF int bml_cuda_trainer_step(const bml_cuda_batch *batch, bml_cuda_stream stream, bml_cuda_trainer *t) {
    return bml_cuda__rows_run(batch, 1, stream, t);
}
BML_CUDA_DEF int bml_cuda_trainer_judge(const bml_cuda_batch *batch, bml_cuda_stream stream, bml_cuda_trainer *t) {
    return bml_cuda__rows_run(batch, 0, stream, t);
}

BML_CUDA_DEF int bml_cuda_trainer_progress(bml_cuda_progress *progress, bml_cuda_stream stream, bml_cuda_trainer *t) {
    bml_cuda__tally now;
    bml_cuda_copy copy = {&now, t ? t->learner.tally : NULL, sizeof now};
    int status = t && progress ? bml_cuda_get(&copy, stream, t->cuda) : BML_CUDA_BAD_ARGUMENT;
    if (!status) {
        status = bml_cuda_wait(stream, t->cuda);
    }
    if (status) return status;
    progress->loss = now.loss / now.weight;
    progress->gradient_norm = now.norm / now.batches;
    progress->accuracy =
        bml_nn__by_row(t->how.loss) || bml_nn__is_binary(t->how.loss) ? now.right / now.rows : BML_CUDA__NAN;
    if (now.failed) {
        return bml_cuda__fail(t->cuda, BML_CUDA_NAN, "after %.0f good batches", now.batches - 1);
    }
    return bml_cuda__forget_sums(stream, t);
}

/* >> training: a whole course, as bml_nn_train gives it
   Its own trainer keeps the order of rows, the rate, the best weights; here each batch runs on the device. A loss that
   has no code there is worked out on the host: predictions come, their gradient goes. */

typedef struct bml_cuda__course {
    bml_cuda_trainer *device;
    bml_nn_trainer *t;
    bml_cuda__buffers data;
    float *x; /* these seven on the device */
    float *y;
    float *weights;
    float *x_val;
    float *y_val;
    uint32_t *order;
    uint32_t *held;
    uint32_t *rows; /* host: the order, as it goes to the device */
    int on_host;    /* the loss */
    double right;   /* rows whose class is right, where the host counts */
} bml_cuda__course;

/* Rows `rows` of x and y on the host (NULL: from `at` on): loss and gradient of what the device has predicted. */
static int bml_cuda__loss_on_host(bml_cuda__course *c, const ptrdiff_t *rows, ptrdiff_t at, const float *x,
                                  const float *y, int learn) {
    bml_nn_trainer *t = c->t;
    bml_cuda_trainer *d = c->device;
    const bml_nn *net = d->host;
    bml_nn__lane *lane = &t->lanes[0];
    int last = net->n_nodes - 1;
    int b = d->lane.b;
    ptrdiff_t m = net->n_out;
    size_t bytes = bml_cuda__bytes(b * m, sizeof(float));
    bml_cuda_copy get = {lane->out[last], d->lane.out[last], bytes};
    bml_cuda_copy put = {d->lane.d[last], lane->d[last], bytes};
    bml_cuda__tally given;
    bml_cuda_copy tell = {&d->learner.tally->given, &given.given, sizeof given.given};
    bml_cuda_copy total = {&d->learner.tally->total, &given.total, sizeof given.total};
    const float *w = t->how.weights && x == t->how.x ? t->how.weights : NULL;
    bml_nn_batch batch;
    batch.gradient = t->gradient;
    batch.prediction = t->prediction;
    batch.target = y ? t->target : NULL;
    batch.x = t->x;
    batch.weight = w ? t->weight : NULL;
    batch.n = b;
    batch.n_in = (size_t)net->n_in;
    batch.n_out = (size_t)m;
    int status = bml_cuda_get(&get, NULL, d->cuda);
    if (!status) {
        status = bml_cuda_wait(NULL, d->cuda);
    }
    if (status) return status;
    lane->b = b;
    bml_nn__output_rows(t->prediction, net, lane);
    for (ptrdiff_t r = 0; r < b; r++) {
        ptrdiff_t from = rows ? rows[r] : at + r;
        for (ptrdiff_t j = 0; y && j < m; j++) {
            float v = y[from * m + j];
            t->target[r * m + j] = net->scale[1] ? (v - net->shift[1][j]) / net->scale[1][j] : v;
        }
        if (w) {
            t->weight[r] = w[from];
        }
        memcpy(t->x + r * net->n_in, x + from * net->n_in, bml_cuda__bytes(net->n_in, sizeof *x));
    }
    given.given = bml_nn__loss(&given.total, &t->how, &batch);
    c->right += batch.target ? bml_nn__right(&t->how, &batch) : 0;
    bml_nn__gradient_rows(net, lane, t->gradient);
    d->n_loss = 0;
    if (learn) {
        status = bml_cuda_put(&put, NULL, d->cuda);
    }
    if (!status) {
        status = bml_cuda_put(&tell, NULL, d->cuda);
    }
    if (!status) {
        status = bml_cuda_put(&total, NULL, d->cuda);
    }
    return status ? status : bml_cuda_wait(NULL, d->cuda);
}

/* One batch: n rows of the order (learn), or of the validation rows, from `at` on. */
static int bml_cuda__course_batch(bml_cuda__course *c, ptrdiff_t at, ptrdiff_t n, int learn) {
    const bml_nn_training *h = &c->t->how;
    bml_cuda_trainer *d = c->device;
    int own = !learn && h->n_val;
    bml_cuda_batch batch = {c->x, c->y, c->weights, learn ? c->order + at : c->held + at, (int)n, 0};
    batch.rate = learn ? bml_nn__rate(c->t) : 0;
    if (own) {
        batch.x = c->x_val + at * d->host->n_in;
        batch.y = c->y_val + at * d->host->n_out;
    }
    if (own) {
        batch.weights = NULL;
        batch.index = NULL;
    }
    if (learn) {
        c->t->step++;
        c->t->last.learning_rate = batch.rate;
    }
    if (!c->on_host) {
        return bml_cuda__rows_run(&batch, learn, NULL, d);
    }
    d->stream = NULL;
    bml_cuda__forward_rows(d, &batch, learn ? BML_NN__TRAIN : BML_NN__PLAIN);
    const ptrdiff_t *rows = NULL;
    if (!own) {
        rows = learn ? c->t->order + at : c->t->held + at;
    }
    const float *x = own ? h->x_val : h->x;
    const float *y = own ? h->y_val : h->y;
    int status = bml_cuda__loss_on_host(c, rows, at, x, y, learn);
    return status ? status : bml_cuda__learn_rows(d, batch.rate, learn);
}

static int bml_cuda__course_validate(bml_cuda__course *c) {
    bml_nn_trainer *t = c->t;
    ptrdiff_t n = t->how.n_val ? (ptrdiff_t)t->how.n_val : t->n_held;
    ptrdiff_t most = t->largest;
    int status = BML_CUDA_OK;
    if (!n) {
        return BML_CUDA_OK;
    }
    c->right = 0;
    for (ptrdiff_t at = 0; at < n && !status; at += most)
        status = bml_cuda__course_batch(c, at, n - at < most ? n - at : most, 0);
    bml_cuda_progress now;
    if (!status) {
        status = bml_cuda_trainer_progress(&now, NULL, c->device);
    }
    if (status) return status;
    t->last.val_loss = now.loss;
    t->last.val_accuracy = c->on_host && now.accuracy == now.accuracy ? c->right / (double)n : now.accuracy;
    return BML_CUDA_OK;
}

/* All batches of an epoch; then the weights are fetched, which the host's net keeps as the last good ones. */
static int bml_cuda__course_train(bml_cuda__course *c) {
    bml_nn_trainer *t = c->t;
    const bml_nn_training *h = &t->how;
    ptrdiff_t size = bml_nn__batch_at(t, t->last.epoch + 1);
    ptrdiff_t n = t->n_train;
    bml_cuda_copy put = {c->order, c->rows, bml_cuda__bytes(n, sizeof *c->rows)};
    if (!h->in_order) {
        bml_nn__shuffle(t->order, n, h->seed, (uint64_t)t->last.epoch + 1);
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        t->order[i] = t->train[h->in_order ? i : t->order[i]];
        c->rows[i] = (uint32_t)t->order[i];
    }
    int status = bml_cuda_put(&put, NULL, c->device->cuda);
    c->right = 0;
    for (ptrdiff_t at = 0; at < n && !status; at += size)
        status = bml_cuda__course_batch(c, at, n - at < size ? n - at : size, 1);
    bml_cuda_progress now;
    if (!status) {
        status = bml_cuda_trainer_progress(&now, NULL, c->device);
    }
    if (status == BML_CUDA_NAN) {
        return bml_cuda__fail(c->device->cuda, status, "in epoch %d; the weights are those after epoch %d",
                              t->last.epoch + 1, t->last.epoch);
    }
    if (!status) {
        status = bml_cuda_trainer_get(t->net->params, NULL, c->device);
    }
    if (status) return status;
    t->last.epoch++;
    t->last.batch = (int)size;
    t->last.loss = now.loss;
    t->last.gradient_norm = now.gradient_norm;
    t->last.accuracy = c->on_host && now.accuracy == now.accuracy ? c->right / (double)n : now.accuracy;
    return BML_CUDA_OK;
}

/* One epoch, judged as bml_nn__epoch judges. */
static int bml_cuda__course_epoch(bml_cuda__course *c) {
    bml_nn_trainer *t = c->t;
    const bml_nn_training *h = &t->how;
    int status = bml_cuda__course_train(c);
    int judged = h->n_val || t->n_held;
    if (!status) {
        status = bml_cuda__course_validate(c);
    }
    if (status) return status;
    double value = judged ? t->last.val_loss : t->last.loss;
    if (t->last.epoch >= h->first_epoch && value < t->last.best_loss) {
        t->last.best_loss = value;
        t->last.best_epoch = t->last.epoch;
        bml_nn__keep(t->best, t->net);
    }
    int since = t->last.best_epoch > h->first_epoch ? t->last.best_epoch : h->first_epoch;
    t->done = t->last.epoch >= h->epochs ||
              (h->patience && t->last.epoch >= h->first_epoch && t->last.epoch - since >= h->patience);
    if (h->callback && h->callback(&t->last, h->user)) {
        t->done = 1;
        status = bml_cuda__fail(c->device->cuda, BML_CUDA_CANCELLED, "after epoch %d", t->last.epoch);
    }
    if (t->done && !h->keep_last && judged && t->last.best_epoch) {
        bml_nn__restore(t->net, t->best);
    }
    return status;
}

/* Data to the device; held[n_held] too. */
static int bml_cuda__course_data(bml_cuda__course *c) {
    const bml_nn_trainer *t = c->t;
    const bml_nn_training *h = &t->how;
    ptrdiff_t n_in = t->net->n_in;
    ptrdiff_t n_out = t->net->n_out;
    ptrdiff_t most = t->n_train > t->n_held ? t->n_train : t->n_held;
    bml_cuda__buffers *b = &c->data;
    if (h->n > 0xFFFFFFFFu) {
        return BML_CUDA_TOO_LARGE;
    }
    c->rows = (uint32_t *)calloc((size_t)most, sizeof *c->rows);
    if (!c->rows) {
        return BML_CUDA_NO_MEMORY;
    }
    for (ptrdiff_t i = 0; i < t->n_held; i++)
        c->rows[i] = (uint32_t)t->held[i];
    ptrdiff_t n = (ptrdiff_t)h->n;
    ptrdiff_t n_val = (ptrdiff_t)h->n_val;
    c->x = (float *)bml_cuda__buffer(b, h->x, n * n_in, sizeof *c->x);
    if (h->y) {
        c->y = (float *)bml_cuda__buffer(b, h->y, n * n_out, sizeof *c->y);
    }
    if (h->weights) {
        c->weights = (float *)bml_cuda__buffer(b, h->weights, n, sizeof *c->weights);
    }
    if (h->n_val) {
        c->x_val = (float *)bml_cuda__buffer(b, h->x_val, n_val * n_in, sizeof *c->x_val);
    }
    if (h->n_val && h->y_val) {
        c->y_val = (float *)bml_cuda__buffer(b, h->y_val, n_val * n_out, sizeof *c->y_val);
    }
    c->order = (uint32_t *)bml_cuda__buffer(b, NULL, t->n_train, sizeof *c->order);
    c->held = (uint32_t *)bml_cuda__buffer(b, c->rows, t->n_held, sizeof *c->held);
    return b->status ? b->status : bml_cuda_wait(NULL, b->cuda);
}

BML_CUDA_DEF int bml_cuda_train_host(float *weights, struct bml_nn_epoch *last, const bml_cuda_training *training,
                                     bml_cuda *cuda) {
    bml_cuda__course c;
    memset(&c, 0, sizeof c);
    c.data.cuda = cuda;
    if (!weights) {
        return cuda && !cuda->open ? BML_CUDA_NO_DEVICE : BML_CUDA_BAD_ARGUMENT;
    }
    int status = bml_cuda_trainer_create(&c.device, training, cuda);
    if (status) return status;
    bml_nn_training how = *training->how;
    how.block = c.device->batch;
    how.threads = 1; /* all rows of a batch in one piece */
    char why[BML_NN_MESSAGE];
    int made = bml_nn_trainer_create(&c.t, c.device->host, &how, why);
    if (made) {
        status = bml_cuda__fail(cuda, made == BML_NN_NO_MEMORY ? BML_CUDA_NO_MEMORY : BML_CUDA_BAD_ARGUMENT,
                                "%s: %.180s", bml_nn_strerror(made), why);
    }
    c.on_host = how.loss == BML_NN_CUSTOM || how.class_weights;
    if (!status) {
        status = bml_cuda__course_data(&c);
    }
    while (!status && !c.t->done)
        status = bml_cuda__course_epoch(&c);
    if (!made) {
        memcpy(weights, c.device->host->params, bml_cuda__bytes(c.device->host->n_params, sizeof *weights));
    }
    if (!made && last) {
        *last = c.t->last;
    }
    bml_cuda__done(&c.data);
    bml_nn_trainer_free(c.t);
    free(c.rows);
    bml_cuda_trainer_free(c.device);
    return status;
}

#endif /* BML_CUDA_NO_TRAINING */

#undef BML_CUDA__PI
#undef BML_CUDA__LN10
#undef BML_CUDA__LN2
#undef BML_CUDA__LN4
#undef BML_CUDA__C
#undef BML_CUDA__H
#undef BML_CUDA__MC2
#undef BML_CUDA__SIGMA_T
#undef BML_CUDA__B_CRIT
#undef BML_CUDA__LAMBDA_C
#undef BML_CUDA__FINE
#undef BML_CUDA__MIN
#undef BML_CUDA__MAX
#undef BML_CUDA__UNROLL
#undef BML_CUDA__ROLLED
#undef BML_CUDA__DYNAMIC
#undef BML_CUDA__NAN
#undef BML_CUDA__EACH
#undef BML_CUDA__CELLS
#undef BML_CUDA__MANY
#undef BML_CUDA__S_MAX
#undef BML_CUDA__NET_KERNELS
#undef BML_CUDA__THREADS
#undef BML_CUDA__LAUNCH_MOST
#endif /* BML_CUDA_IMPLEMENTATION */

/* 0.1.0 (2026): first release. 0.2.0 (2026): follows the solver of bml_ssc.h; BML_CUDA_VERSION.

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
