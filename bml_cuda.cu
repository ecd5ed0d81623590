/* bml_cuda.cu - the GPU side of bml: Compton sampling, SSC spectra, network surrogates and SED likelihoods on an NVIDIA
   card, in one file, called from C.

       make cuda                 builds build/libbml_cuda.so (nvcc 12 or newer): link with -lbml_cuda
       #include "bml_cuda.cu"    in C or C++ gives the declarations, and nothing else

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

   Without a card every call answers BML_CUDA_NO_DEVICE. It refuses: layers of a network that have no code here (plain
   RNN, convolution), sources with callbacks, tables or fields from outside: those are the CPU headers' work.
   State: no card has run this file yet. Its source text has, on the CPU (tests/test_cuda.c): run tests/cuda_checks.cu
   before you trust a card with it. */

/* SETUP, USE, SHUTDOWN

   1. bml_cuda_create(&cuda, 0): opens a card. A failing create still gives an object, whose message says why.
   2. Make what you need, once: bml_cuda_compton_create, bml_cuda_ssc_create, bml_cuda_net_load. That is where memory is
      taken and tables are made; the calls that follow allocate nothing and wait for nothing.
   3. Hot calls take device pointers and a stream (a cudaStream_t, or NULL for the default one) and return once the
      work is queued. bml_cuda_alloc, _put, _get, _wait are enough to feed them from a C program without the runtime.
   4. Calls that end in _host take host pointers, copy to and fro, and wait: for programs that call once.
   5. bml_cuda_compton_free and so on, bml_cuda_free last.
   An object, and what was made from it, belongs to one thread and one stream at a time. Calls set the thread's current
   device to the object's.

   OPTIONS

   BML_CUDA_ON_HOST="file.h"   in a C++ compiler: the whole library on the CPU, with the file's imitation of CUDA
                               (tests/cuda_on_host.h); for tests, slow
   Without it, a compiler that is not nvcc sees the declarations and nothing else.
   The private copies of bml_sample.h, bml_ssc.h and bml_nn.h inside are static: they meet no others.

   WHAT RUNS WHERE

   Compton: a warp takes 32 Philox blocks, four photons a lane; the same words go to the same photons as in
   bml_sample_comptonf, so that energies agree to rounding. The table (32 KiB) lies in shared memory, the weights of the
   small net in the constant bank. The published net, 3-16-16-16-1 (Charles & Chen 2024), goes through tensor cores in
   half precision: the accumulators of one layer are the operand of the next, without leaving the registers; u, log
   gamma and log eps0 are pairs of halves times pairs of halves in its first layer, 22 bits.
   SSC: one block a source, its whole state in shared memory, the algorithm of bml_ssc.h with photons as x n(x) and
   kernels times 4E/G, which keeps all numbers within float's range.
   Networks: a block takes 16 or 64 rows through all layers in one launch; weights stream past in the order in which
   tensor cores want them.
   Half precision: products are exact and summed in float; what is rounded to 11 bits (bfloat16: 8) is every weight and
   every input of a product. States of recurrent layers are float. F16 ends at 65504: scale inputs in the model.

   WHEN NOT TO USE IT: a few thousand photons or ten spectra a call, which the CPU has done before the card has begun;
   what the three headers say of their physics holds here, too; training, which is bml_nn.h's on the CPU. */
#ifndef BML_CUDA_H
#define BML_CUDA_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
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
    X(BML_CUDA_NOT_CONVERGED, -11, "not converged: the best estimate is delivered")
#define BML_CUDA__ENUM(name, value, text) name = value,
enum { BML_CUDA_STATUS_TABLE(BML_CUDA__ENUM) BML_CUDA__STATUS_END = 1 };
#undef BML_CUDA__ENUM

/* The message of a status; "unknown status" for other numbers. Static text. */
const char *bml_cuda_strerror(int status);

/* ---- the device ---- */
typedef struct bml_cuda bml_cuda;
typedef void *bml_cuda_stream; /* a cudaStream_t; NULL = the default stream */

/* Opens device number `device`. *cuda exists unless NO_MEMORY, so that its message can be read; free it. NO_DEVICE,
   BAD_ARGUMENT, NO_MEMORY. */
int bml_cuda_create(bml_cuda **cuda, int device);
void bml_cuda_free(bml_cuda *cuda);                 /* NULL is fine */
const char *bml_cuda_message(const bml_cuda *cuda); /* what the last failing call has to add; "" if nothing */
const char *bml_cuda_name(const bml_cuda *cuda);    /* of the device, "" without one */

/* Device memory for programs that do not use the CUDA runtime themselves; copies are queued on the stream. The host
   memory of a put or get must live until bml_cuda_wait. BAD_ARGUMENT, NO_MEMORY, NO_DEVICE, RUNTIME. */
int bml_cuda_alloc(void **device, size_t bytes, bml_cuda *cuda);
int bml_cuda_release(void *device, bml_cuda *cuda); /* waits for the device; NULL is fine */
typedef struct bml_cuda_copy {
    void *to;
    const void *from;
    size_t bytes;
} bml_cuda_copy;
int bml_cuda_put(const bml_cuda_copy *copy, bml_cuda_stream stream, bml_cuda *cuda); /* host to device */
int bml_cuda_get(const bml_cuda_copy *copy, bml_cuda_stream stream, bml_cuda *cuda); /* device to host */
int bml_cuda_wait(bml_cuda_stream stream, bml_cuda *cuda); /* until all that was queued is done; its errors */

/* ---- Compton sampling ---- */
enum { BML_CUDA_NET = 0, BML_CUDA_TABLE, BML_CUDA_PUBLISHED, BML_CUDA_N_METHODS };
enum { BML_CUDA_PUBLISHED_WEIGHTS = 3 * 16 + 2 * 256 + 16 + 49, BML_CUDA_MAX_BINS = 2048 };

typedef struct bml_cuda_compton bml_cuda_compton;
typedef struct bml_cuda_compton_config {
    int method;           /* NET, TABLE: as in bml_sample.h. PUBLISHED: its authors' net, yours to bring */
    const float *weights; /* PUBLISHED: [BML_CUDA_PUBLISHED_WEIGHTS], copied; see below */
} bml_cuda_compton_config;
/* Weights of the published net: kernels [out][in] of the four layers, each followed by its biases; inputs u, log10
   gamma, log10 eps0; tanh but for the last layer, hardtanh; energy (1 + tanh(5 y)/tanh 5)/2 (eps_max - eps0) + eps0. */
/* Makes a sampler; config NULL: all defaults. *sampler is NULL after an error. BAD_ARGUMENT, NO_MEMORY, NO_DEVICE,
   RUNTIME. */
int bml_cuda_compton_create(bml_cuda_compton **sampler, const bml_cuda_compton_config *config, bml_cuda *cuda);
void bml_cuda_compton_free(bml_cuda_compton *sampler);

typedef struct bml_cuda_photons {
    uint64_t n;                       /* photons to draw */
    const float *gamma, *eps0;        /* device [n] (or [pairs]), ranges as in bml_sample.h; NULL: the same for all, */
    float same_gamma, same_eps0;      /* namely these */
    size_t gamma_stride, eps0_stride; /* numbers from one to the next; 0 = 1 */
    uint64_t pairs;                   /* photon i takes gamma and eps0 number i mod pairs; 0 = n */
    const float *u;                   /* device [n] in [0,1]: the inverse CDF there; NULL = drawn by Philox */
    uint64_t seed, stream;            /* as bml_sample_rng_init takes them */
    uint64_t skip;                    /* blocks of the stream already used: the sum of bml_cuda_compton_blocks so far */
    float *rest;                      /* device [n] takes 1 - eps/gamma; NULL = not wanted. NET and TABLE */
    int half; /* 1: energies come as 16-bit floats, over their largest value gamma b/(1+b), b = 4 gamma eps0 */
} bml_cuda_photons;
/* How many blocks of the stream a call for n photons uses: 64 for each 256, and a quarter of the rest. */
uint64_t bml_cuda_compton_blocks(uint64_t n);

/* Photon energies [m_e c^2] after scattering, energy: device [n] float, or uint16_t with .half. A photon that is out
   of the domain, or has u outside [0,1], becomes NaN, and is counted: see below. Arrays must be aligned to their own
   type, no more. BAD_ARGUMENT, OUT_OF_DOMAIN (same_gamma, same_eps0), RUNTIME. */
int bml_cuda_compton_sample(void *energy, const bml_cuda_photons *photons, bml_cuda_stream stream,
                            bml_cuda_compton *sampler);

typedef struct bml_cuda_bins {
    uint64_t *counts;    /* device [bins + 2]: below lower, the bins, upper and above; added to what is there */
    int bins;            /* 1 ... BML_CUDA_MAX_BINS, equal in log energy */
    double lower, upper; /* [m_e c^2] */
} bml_cuda_bins;
/* The same photons, counted by energy and not kept: any n. Those out of the domain are left out, and counted below. */
int bml_cuda_compton_histogram(const bml_cuda_bins *bins, const bml_cuda_photons *photons, bml_cuda_stream stream,
                               bml_cuda_compton *sampler);
/* *count = photons out of the domain since the last time this was asked. Waits for the stream. RUNTIME. */
int bml_cuda_compton_refused(uint64_t *count, bml_cuda_stream stream, bml_cuda_compton *sampler);
/* All arrays on the host (counts are set, not added to). Allocates, waits; OUT_OF_DOMAIN if any photon is. */
int bml_cuda_compton_sample_host(void *energy, const bml_cuda_photons *photons, bml_cuda_compton *sampler);
int bml_cuda_compton_histogram_host(const bml_cuda_bins *bins, const bml_cuda_photons *photons,
                                    bml_cuda_compton *sampler);

/* ---- synchrotron self-Compton spectra ---- */
typedef struct bml_cuda_source { /* members, units, defaults (0) and ranges as in bml_ssc_source, bml_ssc_observer */
    double R, B, gamma_min, gamma_max, compactness, p, t_end, electron_escape;
    double gamma_break, p2, curvature;
    double redshift, delta, distance; /* distance: luminosity distance [cm], > 0 (bml_ssc_luminosity_distance) */
    int injection;                    /* BML_SSC_POWER_LAW, _BROKEN, _LOG_PARABOLA, _CUTOFF; no table */
    int self_absorption;              /* BML_SSC_SSA_OFF, _SSA, _SSA_HEATING */
    int pair_production;
} bml_cuda_source;

typedef struct bml_cuda_ssc bml_cuda_ssc;
typedef struct bml_cuda_ssc_config {
    int grid, pitch; /* these four as in bml_ssc_config: BML_SSC_CONVERGED (0) or BML_SSC_ATHENA, ... */
    double spacing, time_step;
    int single;              /* 1: in float, within 1e-3 dex of double; 0: in double */
    double gamma_max, B_min; /* of all sources: narrow limits need less memory a source; 0 = 1e10, 1e-8 */
} bml_cuda_ssc_config;
/* Makes the tables (0.1 s on the CPU) and the workspace. *solver is NULL after an error. BAD_ARGUMENT, NO_MEMORY,
   TOO_LARGE, NO_DEVICE, RUNTIME. */
int bml_cuda_ssc_create(bml_cuda_ssc **solver, const bml_cuda_ssc_config *config, bml_cuda *cuda);
void bml_cuda_ssc_free(bml_cuda_ssc *solver);

typedef struct bml_cuda_spectra {
    double *out;                    /* [n][n_nu] nu F_nu [erg cm^-2 s^-1]; NaN where a source failed */
    int *status;                    /* [n] BML_CUDA_OK, _NOT_CONVERGED, _PARAMETER, _ORDER, _OUTSIDE */
    const bml_cuda_source *sources; /* [n] */
    const double *nu;               /* [n_nu] observer's frequencies [Hz] */
    const double *absorption;       /* [n_nu] factor, exp(-tau) of the background light; NULL = 1 */
    int n, n_nu;
    int component; /* BML_SSC_TOTAL, _SYNCHROTRON, _COMPTON */
} bml_cuda_spectra;
/* Solves n sources from empty to t_end; all pointers on the device. n = 0 is fine. BAD_ARGUMENT, RUNTIME. */
int bml_cuda_ssc_solve(const bml_cuda_spectra *spectra, bml_cuda_stream stream, bml_cuda_ssc *solver);
/* The same with host pointers; returns the status of the first source that failed. */
int bml_cuda_ssc_solve_host(const bml_cuda_spectra *spectra, bml_cuda_ssc *solver);

/* ---- likelihoods ---- */
typedef struct bml_cuda_point { /* a bml_ssc_point, member by member */
    double nu, nuFnu, sigma_lo, sigma_hi;
    int upper_limit;
} bml_cuda_point;
typedef struct bml_cuda_likelihoods {
    double *ln_l;             /* [n]; NaN where the model is, or a point is not as bml_ssc_log_likelihood wants it */
    const double *model;      /* [n][n_points] nu F_nu at the points' frequencies, as bml_cuda_ssc_solve leaves it */
    const float *log10_model; /* [n][n_points] its log10, as a surrogate gives it: where model is NULL */
    const bml_cuda_point *points; /* [n_points] */
    const double *ln_f;           /* [n] log of the systematic scatter [dex]; NULL = none */
    int n, n_points;
} bml_cuda_likelihoods;
/* ln likelihoods of many models of one SED, as bml_ssc_log_likelihood; all pointers on the device. BAD_ARGUMENT,
   RUNTIME. */
int bml_cuda_log_likelihood(const bml_cuda_likelihoods *likelihoods, bml_cuda_stream stream, bml_cuda *cuda);
int bml_cuda_log_likelihood_host(const bml_cuda_likelihoods *likelihoods, bml_cuda *cuda); /* with host pointers */

/* ---- networks ---- */
enum { BML_CUDA_F16 = 0, BML_CUDA_BF16, BML_CUDA_F32, BML_CUDA_N_PRECISIONS };
typedef struct bml_cuda_net bml_cuda_net;
typedef struct bml_cuda_net_config {
    int precision; /* F16, BF16 (tensor cores, float sums), F32 (no tensor cores; slow, for checks) */
    int rows;      /* rows of a block: 16 (small batches, wide layers) or 64; 0 = 64 where it fits, else 16 */
} bml_cuda_net_config;
/* From a file of bml_nn_save, or its bytes (bml_nn_encode). Layers: input, dense, GRU (reset after the product),
   LSTM, both also bidirectional, dropout (does nothing), flatten, reshape, concat, add, batch and layer norm, Bayesian
   (at its mean). config NULL: all defaults. *net is NULL after an error. BAD_MODEL, BAD_ARGUMENT (BF16 before compute
   capability 8.0), TOO_LARGE, NO_MEMORY, NO_DEVICE, RUNTIME. */
int bml_cuda_net_load(bml_cuda_net **net, const char *path, const bml_cuda_net_config *config, bml_cuda *cuda);
typedef struct bml_cuda_bytes {
    const unsigned char *bytes;
    size_t size;
} bml_cuda_bytes;
int bml_cuda_net_decode(bml_cuda_net **net, const bml_cuda_bytes *model, const bml_cuda_net_config *config,
                        bml_cuda *cuda);
void bml_cuda_net_free(bml_cuda_net *net);
size_t bml_cuda_net_n_in(const bml_cuda_net *net);
size_t bml_cuda_net_n_out(const bml_cuda_net *net);
/* y[n][n_out] of x[n][n_in], rows as in bml_nn.h, scaled as the model says; device pointers. BAD_ARGUMENT, RUNTIME. */
int bml_cuda_net_predict(float *y, const float *x, size_t n, bml_cuda_stream stream, bml_cuda_net *net);
int bml_cuda_net_predict_host(float *y, const float *x, size_t n, bml_cuda_net *net);

#ifdef __cplusplus
}
#endif
#endif /* BML_CUDA_H */
/* ---- end of API ---- */

#if (defined(__CUDACC__) || defined(BML_CUDA_ON_HOST)) && !defined(BML_CUDA__IMPLEMENTED)
#define BML_CUDA__IMPLEMENTED
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
#define BML_SAMPLE_STATIC
#define BML_SAMPLE_IMPLEMENTATION
#endif
#include "bml_sample.h"
#ifndef BML_SSC_IMPLEMENTATION
#define BML_SSC_STATIC
#define BML_SSC_IMPLEMENTATION
#endif
#include "bml_ssc.h"
#ifndef BML_NN_IMPLEMENTATION
#define BML_NN_STATIC
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
#define BML_CUDA__UNROLL _Pragma("unroll")
#define BML_CUDA__ROLLED _Pragma("unroll 1")
#define BML_CUDA__DYNAMIC(type, name)          \
    extern __shared__ double bml_cuda__room[]; \
    type *name = (type *)(void *)bml_cuda__room
#define BML_CUDA__LAUNCH(kernel, grid, block, bytes, stream, ...) \
    kernel<<<(grid), (block), (bytes), (cudaStream_t)(stream)>>>(__VA_ARGS__)
#endif
#define BML_CUDA__NAN ((double)NAN)
#define BML_CUDA__EACH(k, n) for (int k = (int)threadIdx.x; k < (n); k += (int)blockDim.x)

/* >> status, device, memory */

#ifndef BML_CUDA__THREADS /* of a block; the test takes fewer, fibers are slow */
#define BML_CUDA__THREADS 256
#endif
enum { BML_CUDA__MESSAGE = 256, BML_CUDA__WARPS = BML_CUDA__THREADS / 32 };

struct bml_cuda {
    int device, open, multiprocessors, capability; /* capability: 10 major + minor */
    size_t shared;                                 /* bytes of shared memory that one block may have */
    char name[256], message[BML_CUDA__MESSAGE];
};

const char *bml_cuda_strerror(int status) {
#define BML_CUDA__CASE(name, value, text) \
    if (status == value) return text;
    BML_CUDA_STATUS_TABLE(BML_CUDA__CASE)
#undef BML_CUDA__CASE
    return "unknown status";
}

const char *bml_cuda_message(const bml_cuda *cuda) {
    return cuda ? cuda->message : "";
}
const char *bml_cuda_name(const bml_cuda *cuda) {
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

/* The status of a runtime call: return bml_cuda__check(cuda, cudaThis(...), "this"). */
static int bml_cuda__check(bml_cuda *cuda, cudaError_t error, const char *what) {
    if (error == cudaSuccess) return BML_CUDA_OK;
    cudaGetLastError(); /* what was told is not told again */
    return bml_cuda__fail(cuda, error == cudaErrorMemoryAllocation ? BML_CUDA_NO_MEMORY : BML_CUDA_RUNTIME, "%s: %s",
                          what, cudaGetErrorString(error));
}

/* Makes the device current; every entry point begins with it. */
static int bml_cuda__enter(bml_cuda *cuda) {
    if (!cuda) return BML_CUDA_BAD_ARGUMENT;
    if (!cuda->open) return BML_CUDA_NO_DEVICE;
    cuda->message[0] = 0;
    return bml_cuda__check(cuda, cudaSetDevice(cuda->device), "cudaSetDevice");
}

int bml_cuda_create(bml_cuda **out, int device) {
    bml_cuda *cuda;
    cudaDeviceProp properties;
    cudaError_t error;
    int n = 0;
    if (!out) return BML_CUDA_BAD_ARGUMENT;
    *out = cuda = (bml_cuda *)calloc(1, sizeof *cuda);
    if (!cuda) return BML_CUDA_NO_MEMORY;
    error = cudaGetDeviceCount(&n);
    if (error != cudaSuccess || n < 1) {
        cudaGetLastError();
        return bml_cuda__fail(cuda, BML_CUDA_NO_DEVICE, "%s",
                              error != cudaSuccess ? cudaGetErrorString(error) : "no device");
    }
    if (device < 0 || device >= n) return bml_cuda__fail(cuda, BML_CUDA_BAD_ARGUMENT, "device %d of %d", device, n);
    error = cudaGetDeviceProperties(&properties, device);
    if (error != cudaSuccess) return bml_cuda__check(cuda, error, "cudaGetDeviceProperties");
    if (properties.major * 10 + properties.minor < 75)
        return bml_cuda__fail(cuda, BML_CUDA_NO_DEVICE, "compute capability %d.%d: 7.5 is the least", properties.major,
                              properties.minor);
    cuda->device = device;
    cuda->multiprocessors = properties.multiProcessorCount;
    cuda->capability = properties.major * 10 + properties.minor;
    cuda->shared = properties.sharedMemPerBlockOptin;
    snprintf(cuda->name, sizeof cuda->name, "%s", properties.name);
    cuda->open = 1;
    return BML_CUDA_OK;
}

void bml_cuda_free(bml_cuda *cuda) {
    free(cuda);
}

int bml_cuda_alloc(void **device, size_t bytes, bml_cuda *cuda) {
    int status = bml_cuda__enter(cuda);
    if (device) *device = NULL;
    if (!status && !device) status = BML_CUDA_BAD_ARGUMENT;
    return status ? status : bml_cuda__check(cuda, cudaMalloc(device, bytes ? bytes : 1), "cudaMalloc");
}

/* Leaves an earlier message alone: what failed is often cleared away before it is told. */
int bml_cuda_release(void *device, bml_cuda *cuda) {
    if (!device) return BML_CUDA_OK;
    if (!cuda) return BML_CUDA_BAD_ARGUMENT;
    if (!cuda->open) return BML_CUDA_NO_DEVICE;
    cudaSetDevice(cuda->device);
    return bml_cuda__check(cuda, cudaFree(device), "cudaFree");
}

static int bml_cuda__move(const bml_cuda_copy *copy, int to_device, bml_cuda_stream stream, bml_cuda *cuda) {
    int status = bml_cuda__enter(cuda);
    if (!status && (!copy || (copy->bytes && (!copy->to || !copy->from)))) status = BML_CUDA_BAD_ARGUMENT;
    if (status || !copy->bytes) return status;
    return bml_cuda__check(cuda,
                           cudaMemcpyAsync(copy->to, copy->from, copy->bytes,
                                           to_device ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost,
                                           (cudaStream_t)stream),
                           "cudaMemcpyAsync");
}
int bml_cuda_put(const bml_cuda_copy *copy, bml_cuda_stream stream, bml_cuda *cuda) {
    return bml_cuda__move(copy, 1, stream, cuda);
}
int bml_cuda_get(const bml_cuda_copy *copy, bml_cuda_stream stream, bml_cuda *cuda) {
    return bml_cuda__move(copy, 0, stream, cuda);
}
int bml_cuda_wait(bml_cuda_stream stream, bml_cuda *cuda) {
    int status = bml_cuda__enter(cuda);
    return status ? status
                  : bml_cuda__check(cuda, cudaStreamSynchronize((cudaStream_t)stream), "cudaStreamSynchronize");
}

/* What a convenience call keeps on the device for a while: buffers made one after another, freed together. After a
   failure, calls do nothing and `status` stays. */
typedef struct bml_cuda__buffers {
    bml_cuda *cuda;
    void *made[8];
    int n, status;
} bml_cuda__buffers;

/* count things of `size` bytes on the device, a copy of `from` unless NULL. NULL after an error. */
static void *bml_cuda__buffer(bml_cuda__buffers *b, const void *from, size_t count, size_t size) {
    void *p = NULL;
    bml_cuda_copy copy;
    if (b->status) return NULL;
    if (size && count > (size_t)-1 / size) b->status = BML_CUDA_TOO_LARGE;
    if (!b->status) b->status = bml_cuda_alloc(&p, count * size, b->cuda);
    if (b->status) return NULL;
    b->made[b->n++] = p;
    copy.to = p, copy.from = from, copy.bytes = count * size;
    if (from) b->status = bml_cuda_put(&copy, NULL, b->cuda);
    return p;
}

/* Copies back, and waits. */
static void bml_cuda__fetch(bml_cuda__buffers *b, void *to, const void *from, size_t bytes) {
    bml_cuda_copy copy;
    copy.to = to, copy.from = from, copy.bytes = bytes;
    if (!b->status) b->status = bml_cuda_get(&copy, NULL, b->cuda);
    if (!b->status) b->status = bml_cuda_wait(NULL, b->cuda);
}

static int bml_cuda__done(bml_cuda__buffers *b) {
    for (; b->n > 0; b->n--) bml_cuda_release(b->made[b->n - 1], b->cuda);
    return b->status;
}

/* Device copy of host memory that lives as long as an object; the status. */
static int bml_cuda__upload(void **device, const void *from, size_t bytes, bml_cuda *cuda) {
    bml_cuda_copy copy;
    int status = bml_cuda_alloc(device, bytes, cuda);
    copy.to = *device, copy.from = from, copy.bytes = bytes;
    if (!status) status = bml_cuda_put(&copy, NULL, cuda);
    return status ? status : bml_cuda_wait(NULL, cuda); /* `from` may go */
}

/* How many blocks fill the device, for loops that take their work in turns; at most `wanted`. */
template <typename Kernel>
static unsigned bml_cuda__grid(const bml_cuda *cuda, Kernel kernel, size_t shared, uint64_t wanted) {
    int each = 0;
    uint64_t all;
    if (cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, kernel, BML_CUDA__THREADS, shared) != cudaSuccess ||
        each < 1)
        each = 1;
    all = (uint64_t)each * (uint64_t)cuda->multiprocessors;
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

/* Two floats as 16-bit numbers, the first in the lower half; format 0: half, 1: bfloat16. */
static __host__ __device__ __forceinline__ uint32_t bml_cuda__pack(float low, float high, int bf16) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    uint32_t p;
    if (bf16) asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(p) : "f"(high), "f"(low));
    else asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(p) : "f"(high), "f"(low));
    return p;
#elif defined(__CUDA_ARCH__)
    unsigned short l, h;
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
    uint32_t x = bml_cuda__pack(low, high, 0), y;
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
    if (bf16)
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                     "{%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    else
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                     "{%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#elif defined(__CUDA_ARCH__) /* 7.5 has the half as deep one, and no bfloat16 */
    (void)bf16;
    for (int k = 0; k < 2; k++)
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[2 * k]), "r"(a[2 * k + 1]), "r"(b[k]));
#elif defined(BML_CUDA_ON_HOST)
    cuda_host_mma(c, a, b, bf16);
#else
    (void)c, (void)a, (void)b, (void)bf16;
#endif
}

/* >> Compton: closed forms in double
   For the few photons of whose spectrum only an end lies above eps0: as the section "Compton: closed forms" of
   bml_sample.h, where the formulas are explained. */

typedef struct bml_cuda__edge {
    double b, ln_b, L, total, u_min, l_min, left;
    int end;
} bml_cuda__edge;

static __device__ double bml_cuda__dilog(double l) { /* -Li2(1 - e^l) - l, l <= ln 2 */
    double s = l * l, p = -1.9939295860721076e-14;
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
    double z = expm1(l), E = z / (1 + z), q = z / b < 1 ? z / b : 1, ln_q = log(q), E2 = E * E, A2, M3, M4, D;
    if (E < 0.25) {
        double a3 = 0, m3 = 0, m4 = 0;
        for (int n = 28; n >= 4; n--) { /* A_k = sum of E^n/n, M_k of (1 - (k-1)/n) E^n, n >= k */
            double r = 1.0 / n;
            a3 = a3 * E + r, m3 = m3 * E + (1 - 2 * r), m4 = m4 * E + (1 - 3 * r);
        }
        A2 = E2 * (0.5 + E * (1.0 / 3 + E * a3));
        M3 = E2 * E * (1.0 / 3 + E * m3), M4 = E2 * E2 * m4;
    } else A2 = l - E, M3 = z - 2 * l + E, M4 = z - 3 * l + 2 * E + 0.5 * E2;
    if (z <= 1) D = bml_cuda__dilog(l);
    else {
        double ln_z = ln_q + ln_b, rest = l - ln_z;
        D = BML_SAMPLE__PI * BML_SAMPLE__PI / 6 + 0.5 * ln_z * ln_z - (bml_cuda__dilog(rest) + rest) - l;
    }
    *f = 2 * q * ln_q + (1 + 2 * q) * (1 - q) + z * z * (1 - q) / (2 * (1 + z));
    return 0.5 * (l + E - 0.5 * E2) + (2 * (ln_q * A2 - D) + A2 - 0.5 * M4) / b - 2 * M3 / b / b;
}

static __device__ double bml_cuda__kernel(double p, double b) { /* f at q = 1 - p */
    double q = 1 - p, z = b * q, ln_q = p < 0.5 ? log1p(-p) : log(q);
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
        double at = 0.5 * p * (1 + (i & 1 ? x[i / 2] : -x[i / 2])), one = 1 + b * (1 - at);
        sum += w[i / 2] * bml_cuda__kernel(at, b) * b / (one * one);
    }
    return 0.5 * p * sum;
}

static __device__ bml_cuda__edge bml_cuda__edge_of(double gamma, double eps0) {
    bml_cuda__edge s;
    double room = gamma - eps0, E = eps0 / gamma, p_min = (4 * gamma * room - 1) / (4 * gamma * room), f;
    s.b = 4 * gamma * eps0, s.ln_b = log(s.b), s.L = log1p(s.b), s.l_min = log1p(eps0 / room);
    s.total = bml_cuda__G(&f, s.L, s.b, s.ln_b);
    if (!(p_min > 1e-16)) p_min = 1e-16;
    s.end = p_min < 0.6;
    s.left = s.end ? bml_cuda__above(p_min, s.b) : 0;
    if (s.end) s.u_min = 1 - s.left / s.total;
    else s.u_min = E < 1e-16 * s.total ? E / s.total : bml_cuda__G(&f, s.l_min, s.b, s.ln_b) / s.total;
    return s;
}

/* The conditional CDF at l, what is above it, and its derivative. */
static __device__ double bml_cuda__conditional(double *above, double *slope, double l, const bml_cuda__edge *s) {
    double z = expm1(l), p, c, f;
    if (s->end) {
        p = (s->b - z) / s->b;
        p = p > 0 ? p : 0;
        *above = bml_cuda__above(p, s->b) / s->left;
        *slope = bml_cuda__kernel(p, s->b) / ((1 + z) * s->left);
        return 1 - *above;
    }
    c = (bml_cuda__G(&f, l, s->b, s->ln_b) / s->total - s->u_min) / (1 - s->u_min);
    *slope = f / ((1 + z) * s->total * (1 - s->u_min));
    *above = 1 - c;
    return c;
}

/* l at u by bracketed Newton steps, from a first guess. Not inlined: its registers are not for the hot path. */
static __device__ __noinline__ double bml_cuda__invert(double u, double l, double gamma, double eps0) {
    bml_cuda__edge s = bml_cuda__edge_of(gamma, eps0);
    double lo = s.l_min, hi = s.L, least = u < 0.5 ? u : 1 - u;
    if (u <= 0) return lo;
    if (u >= 1) return hi;
    if (!(l > lo && l < hi)) l = 0.5 * (lo + hi);
    for (int i = 0; i < 60; i++) {
        double above, slope, c = bml_cuda__conditional(&above, &slope, l, &s);
        double error = u < 0.5 ? c - u : 1 - u - above, noise = s.end || u < 0.5 ? 0 : 2e-16, step;
        int last = fabs(error) <= 1e-8 * least;
        if (fabs(error) <= 1e-14 * least + noise) break;
        if (error > 0) hi = l;
        else lo = l;
        if (u < 0.5) step = -error / slope;
        else step = 2 * sqrt(above) * (sqrt(above > 0 ? above : 0) - sqrt(1 - u)) / slope;
        if (l + step > lo && l + step < hi) l += step;
        else if (!last) l = 0.5 * (lo + hi);
        if (last || !(hi - lo > 2e-16 * hi)) break;
    }
    return l;
}

/* >> Compton: one photon in float, the arithmetic of bml_sample.h */

static __device__ __forceinline__ float bml_cuda__logf(float x) {
    uint32_t bits, k;
    float m, r, p;
    memcpy(&bits, &x, sizeof bits);
    k = (bits - 0x3F3504F3u + 0x3F800000u) >> 23;
    bits -= (k << 23) - 0x3F800000u;
    memcpy(&m, &bits, sizeof m);
    r = m - 1;
    p = 0.333339107f +
        r * (-0.250013370f +
             r * (0.199630638f + r * (-0.165775847f + r * (0.149147679f + r * (-0.142674870f + r * 0.0870043592f)))));
    return (float)((int32_t)k - 127) * 0.693147181f + (r + r * r * (r * p - 0.5f));
}

static __device__ __forceinline__ float bml_cuda__log10f(float x) {
    return 0.434294482f * bml_cuda__logf(x);
}

static __device__ __forceinline__ float bml_cuda__log1pf(float x) {
    float w = 1 + x, lost = x - (w - 1);
    return bml_cuda__logf(w) + (x < 0.5f ? lost * (1 - x * (1 - x)) : 0);
}

static __device__ __forceinline__ float bml_cuda__expf(float *one_minus, float x) { /* e^-x and 1 - e^-x */
    int32_t k = (int32_t)(x * 1.44269504f + 0.5f);
    uint32_t bits = (uint32_t)(127 - k) << 23;
    float r = ((float)k * 0.693359375f - x) - (float)k * 2.12194440e-4f, scale, p;
    memcpy(&scale, &bits, sizeof scale);
    p = r +
        r * r * (0.499999980f + r * (0.166665387f + r * (0.0416672213f + r * (0.00836718086f + r * 0.00138823958f))));
    *one_minus = (1 - scale) - scale * p;
    return scale + scale * p;
}

static __device__ __forceinline__ float bml_cuda__tanh_parts(float *below, float x) {
    float s;
    x = fminf(fmaxf(x, -7.5f), 7.5f);
    s = x * x;
    *below = 1 + s * (0.455668737f + s * (0.0207978224f + s * 1.36103200e-4f));
    return x * (0.999992914f + s * (0.122358796f + s * (0.00221871042f + s * 3.66293559e-6f)));
}

/* What depends on gamma and eps0 alone. */
typedef struct bml_cuda__pair {
    float gamma, eps0, L, s, low, high, q;
} bml_cuda__pair;

/* G(eps0): closed forms for E >= 1/8, short series below. */
static __device__ __forceinline__ float bml_cuda__start(float g, float e, float *q_start) {
    float d = g - e, one = 1 / (g * d * e), E = e * e * d * one, z = e * e * g * one, q = 0.25f * e * one, whole = E;
    float one_E = fminf(g * g * d * one, 1e6f), one_z = fminf(d * d * g * one, 1e6f), l, ln_q, om, D, A, M3, M4;
    *q_start = E < 0.9f ? q : 1;
    E = fmaxf(E, 1e-6f), z = fmaxf(z, 1e-6f), q = fmaxf(q, 1e-9f);
    l = bml_cuda__log1pf(z), ln_q = bml_cuda__logf(q), om = 1 - E;
    D = (0.249999198f + l * (0.0621431243f + l * (0.0103371176f + l * 9.39750671e-4f))) /
        (1 + l * (0.137409023f + l * (0.0262134346f + l * 0.00183597240f)));
    if (E < 0.125f) {
        A = om * (1.0f / 2 + E * (1.0f / 3 + E * (1.0f / 4 + E * (1.0f / 5 + E * (1.0f / 6 + E * (1.0f / 7))))));
        M3 = om * om * (1.0f / 3 + E * (1.0f / 2 + E * (3.0f / 5 + E * (2.0f / 3 + E * (5.0f / 7 + E * (3.0f / 4))))));
        M4 = om * E * E * (1.0f / 4 + E * (2.0f / 5 + E * (1.0f / 2 + E * (4.0f / 7 + E * (5.0f / 8)))));
    } else {
        A = (l - E) * one_z * one_E;
        M3 = (z - 2 * l + E) * one_z * one_z * one_E;
        M4 = (z - 3 * l + 2 * E + 0.5f * E * E) * one_z * one_E;
    }
    return whole * (0.5f * (l * one_E + 1 - 0.5f * E) +
                    q * ((1 + 2 * ln_q) * A - 2 * (l * one_z) * (l * one_E) * D - 0.5f * M4) - 2 * q * q * M3);
}

static __device__ __forceinline__ bml_cuda__pair bml_cuda__prepare(float g, float e) {
    bml_cuda__pair p;
    float s, top, bottom, start = bml_cuda__start(g, e, &p.q);
    p.gamma = g, p.eps0 = e;
    p.L = bml_cuda__log1pf(4 * g * e);
    p.s = s = p.L / (p.L + 4);
    top = 2.99994936f +
          s * (-9.84568419f + s * (11.7783149f + s * (0.335458043f + s * (-13.4001478f + s * 11.2950671f))));
    bottom = 1 + s * (-3.95100920f + s * (7.91021191f + s * (-7.06729610f + s * (0.188001027f + s * 3.49805868f))));
    p.low = p.q <= 0.26f ? start * top / (p.L * bottom) : 0;
    p.high = 1 - p.low;
    return p;
}

/* N(t, s), the 2-8-8-1 network; two units share a division. w: see bml_sample__weights. */
static __device__ __forceinline__ float bml_cuda__network(const float *w, float t, float s) {
    const float *w2 = w + 24, *b2 = w2 + 64, *w3 = b2 + 8;
    float h[8], n = w3[8];
    BML_CUDA__UNROLL
    for (int k = 0; k < 8; k += 2) {
        float A, B, a = bml_cuda__tanh_parts(&A, w[16 + k] + w[2 * k] * t + w[2 * k + 1] * s);
        float b = bml_cuda__tanh_parts(&B, w[17 + k] + w[2 * k + 2] * t + w[2 * k + 3] * s);
        float one = bml_cuda__reciprocal(A * B);
        h[k] = a * B * one, h[k + 1] = b * A * one;
    }
    BML_CUDA__UNROLL
    for (int k = 0; k < 8; k += 2) {
        const float *x = w2 + 8 * k, *y = x + 8;
        float A, B, a, b;
        a = bml_cuda__tanh_parts(&A, (b2[k] + x[0] * h[0] + x[1] * h[1] + x[2] * h[2] + x[3] * h[3]) +
                                         (x[4] * h[4] + x[5] * h[5] + x[6] * h[6] + x[7] * h[7]));
        b = bml_cuda__tanh_parts(&B, (b2[k + 1] + y[0] * h[0] + y[1] * h[1] + y[2] * h[2] + y[3] * h[3]) +
                                         (y[4] * h[4] + y[5] * h[5] + y[6] * h[6] + y[7] * h[7]));
        n += (w3[k] * a * B + w3[k + 1] * b * A) * bml_cuda__reciprocal(A * B);
    }
    return n;
}

#define BML_CUDA__S_MAX 0.887f /* of s in the table, as in bml_sample.h */

static __device__ __forceinline__ float bml_cuda__lookup(const float *node, float t, float s) {
    float x = bml_cuda__sqrt(t) * (BML_SAMPLE__NT - 1), y = s * ((BML_SAMPLE__NS - 1) / BML_CUDA__S_MAX);
    int j = BML_SSC__MAX((int)x, 0), k = BML_SSC__MAX((int)y, 0);
    const float *at;
    float below, above;
    j = BML_SSC__MIN(j, BML_SAMPLE__NT - 2), k = BML_SSC__MIN(k, BML_SAMPLE__NS - 2);
    at = node + k * BML_SAMPLE__NT + j;
    x -= (float)j, y -= (float)k;
    below = at[0] + x * (at[1] - at[0]);
    above = at[BML_SAMPLE__NT] + x * (at[BML_SAMPLE__NT + 1] - at[BML_SAMPLE__NT]);
    return below + y * (above - below);
}

/* >> Compton: the published net on tensor cores
   A warp takes 32 photons at once, as two tiles of 16 rows. Row r of tile k belongs to lane 4 (r mod 8) + 2 k + (r >=
   8), so that of the outputs, which all four lanes of a quad hold, each lane keeps its own photon's. In the first
   layer a variable x is a pair of halves, high + low, and so is its weight w: columns 2v, 2v+1, 2v+8 of the operand
   hold high, low, high, and meet w_high, w_high, w_low; columns 9 and 11 hold 1 and meet both parts of the bias. */

enum { BML_CUDA__FRAGMENTS = 16, BML_CUDA__BIASES = 9 }; /* for each lane: 16 packed pairs, then 9 floats */

/* fragments[25][32] of the weights as bml_cuda_compton_config has them. */
static void bml_cuda__published_fragments(uint32_t *fragments, const float *weights) {
    const float *layer[4] = {weights, weights + 64, weights + 336, weights + 608};
    float high, low, bias;
    for (uint32_t lane = 0; lane < 32; lane++) {
        uint32_t g = lane / 4, t = lane % 4, *to = fragments + lane;
        for (uint32_t n = 0; n < 2; n++) { /* first layer: column g of the tile is unit 8 n + g */
            uint32_t unit = 8 * n + g;
            float w = t < 3 ? layer[0][3 * unit + t] : 0;
            high = bml_cuda__from_half(bml_cuda__pack(w, 0, 0)), low = w - high;
            bias = layer[0][48 + unit];
            if (t == 1) bias -= bml_cuda__from_half(bml_cuda__pack(bias, 0, 0));
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
    uint32_t low = i & 1 ? a[1] : a[0], high = i & 1 ? a[3] : a[2];
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
    uint32_t one = t < 2 ? 0x3C000000u : 0, a[4] = {row, row8, (row & 0xFFFFu) | one, (row8 & 0xFFFFu) | one};
    float c[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    bml_cuda__mma(c, a, b, 0), bml_cuda__mma(c + 4, a, b + 2, 0);
    bml_cuda__activate(a, c);
    BML_CUDA__UNROLL
    for (int l = 0; l < 2; l++) {
        c[0] = c[2] = bias[4 * l], c[1] = c[3] = bias[4 * l + 1];
        c[4] = c[6] = bias[4 * l + 2], c[5] = c[7] = bias[4 * l + 3];
        bml_cuda__mma(c, a, b + 4 + 4 * l, 0), bml_cuda__mma(c + 4, a, b + 6 + 4 * l, 0);
        bml_cuda__activate(a, c);
    }
    c[0] = c[1] = c[2] = c[3] = bias[8];
    bml_cuda__mma(c, a, b + 12, 0);
    out[0] = c[0], out[1] = c[2];
}

/* The net's output for the lane's own photon; the warp together. b[16], bias[9]: the lane's fragments. */
static __device__ __forceinline__ float bml_cuda__published(float u, float log_gamma, float log_eps0, const uint32_t *b,
                                                            const float *bias) {
    uint32_t t = threadIdx.x % 4, own[4], got[4], row[4];
    float x[3] = {u, log_gamma, log_eps0}, out[4];
    BML_CUDA__UNROLL
    for (int v = 0; v < 3; v++) {
        uint32_t high = bml_cuda__pack(x[v], 0, 0);
        own[v] = bml_cuda__pack(x[v], x[v] - bml_cuda__from_half(high), 0);
    }
    own[3] = 0;
    got[0] = bml_cuda__pick(own, t); /* lane t of a quad wants variable t of all its four photons */
    BML_CUDA__UNROLL
    for (uint32_t r = 1; r < 4; r++) got[r] = __shfl_xor_sync(0xFFFFFFFFu, bml_cuda__pick(own, t ^ r), (int)r);
    BML_CUDA__UNROLL
    for (uint32_t s = 0; s < 4; s++) row[s] = bml_cuda__pick(got, t ^ s);
    bml_cuda__tile(out, row[0], row[1], t, b, bias);
    bml_cuda__tile(out + 2, row[2], row[3], t, b, bias);
    return t & 2 ? (t & 1 ? out[3] : out[2]) : (t & 1 ? out[1] : out[0]);
}

static __device__ __forceinline__ void bml_cuda__take_fragments(uint32_t *b, float *bias, const uint32_t *from) {
    from += threadIdx.x % 32;
    BML_CUDA__UNROLL
    for (int i = 0; i < BML_CUDA__FRAGMENTS; i++) b[i] = from[32 * i];
    BML_CUDA__UNROLL
    for (int i = 0; i < BML_CUDA__BIASES; i++) memcpy(&bias[i], &from[32 * (BML_CUDA__FRAGMENTS + i)], 4);
}

/* >> Compton: kernels */

typedef struct bml_cuda__draw {
    uint64_t n, pairs, pair0, block0; /* photons, entries in gamma and eps0; the first entry, the first block */
    const float *gamma, *eps0, *u;
    size_t gamma_stride, eps0_stride;
    float same_gamma, same_eps0;
    uint32_t key[2], stream[2];
    float *energy, *rest;
    uint16_t *half_energy;
    unsigned long long *counts, *refused;
    uint32_t *met_edge, call; /* a launch that meets the end of a spectrum leaves its number there */
    int bins;
    float ln_lower, per_bin;
    const float *nodes;
    const uint32_t *fragments;
    float w[105];
} bml_cuda__draw;

static __device__ void bml_cuda__philox(uint32_t *out, const bml_cuda__draw &d, uint64_t block) {
    uint32_t c0 = (uint32_t)block, c1 = d.stream[0], c2 = d.stream[1], c3 = (uint32_t)(block >> 32);
    uint32_t k0 = d.key[0], k1 = d.key[1];
    BML_CUDA__UNROLL
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* gamma and eps0 of a photon; at = its index mod pairs. 0 where out of the domain. */
static __device__ __forceinline__ int bml_cuda__load(float *gamma, float *eps0, const bml_cuda__draw &d, uint64_t at) {
    float g = d.gamma ? d.gamma[at * d.gamma_stride] : d.same_gamma,
          e = d.eps0 ? d.eps0[at * d.eps0_stride] : d.same_eps0;
    *gamma = g, *eps0 = e;
    return (g >= 1.0f) & (g <= 1e11f) & (e >= 0.99999998e-13f) & (e <= 1e2f) & ((g - e) * g > 0.25f);
}

/* Energy of a photon by NET or TABLE from u and v = 1 - u. */
template <int METHOD>
static __device__ __forceinline__ float bml_cuda__scatter(float *rest, const bml_cuda__pair &p, float u, float v,
                                                          const bml_cuda__draw &d, const float *node) {
    float r = bml_cuda__sqrt(p.high * v), t = (p.low + p.high * u) * bml_cuda__reciprocal(1 + r), E;
    float n = METHOD == BML_CUDA_TABLE ? bml_cuda__lookup(node, t, p.s) : bml_cuda__network(d.w, t, p.s);
    *rest = bml_cuda__expf(&E, p.L * (t * (1 + r * n)));
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
    float b = 4 * gamma * eps0, top = gamma * b / (1 + b), below, above, eps;
    above = bml_cuda__tanh_parts(&below, 5 * fminf(fmaxf(y, -1.0f), 1.0f));
    eps = (1 + above / below / 0.99990920f) / 2 * (top - eps0) + eps0;
    *rest = 1 - eps / gamma;
    return eps;
}

/* A photon on its way. Chunk by chunk of 256, as bml_sample_comptonf takes them: m photons use (m + 3)/4 blocks, and
   word w of block j is for photon w blocks + j of the chunk. A warp's unit of work is 32 blocks, half of a chunk. */
typedef struct bml_cuda__photon {
    uint64_t i; /* its number */
    float u, v, gamma, eps0;
    int live, good; /* there is one; its numbers are in the domain */
} bml_cuda__photon;

typedef struct bml_cuda__unit {
    uint64_t first, pair;
    uint32_t m, blocks, j, words[4];
} bml_cuda__unit;

static __device__ __forceinline__ bml_cuda__unit bml_cuda__unit_of(const bml_cuda__draw &d, uint64_t unit) {
    bml_cuda__unit c = {unit / 2 * 256, 0, 256, 0, (uint32_t)(unit & 1) * 32 + threadIdx.x % 32, {0, 0, 0, 0}};
    if (d.n - c.first < 256) c.m = (uint32_t)(d.n - c.first);
    c.blocks = (c.m + 3) / 4;
    if (d.gamma || d.eps0) c.pair = (d.pair0 + c.first) % d.pairs;
    if (!d.u && c.j < c.blocks) bml_cuda__philox(c.words, d, d.block0 + unit / 2 * 64 + c.j);
    return c;
}

static __device__ __forceinline__ bml_cuda__photon bml_cuda__photon_of(const bml_cuda__draw &d, const bml_cuda__unit &c,
                                                                       uint32_t w) {
    uint32_t offset = w * c.blocks + c.j, k = bml_cuda__pick(c.words, w) >> 1;
    bml_cuda__photon p = {c.first + offset,
                          ((float)k + 0.5f) * 4.65661287e-10f,
                          ((float)(0x7FFFFFFFu - k) + 0.5f) * 4.65661287e-10f,
                          d.same_gamma,
                          d.same_eps0,
                          0,
                          0};
    p.live = p.good = c.j < c.blocks && offset < c.m;
    if (p.live && d.u) p.u = d.u[p.i], p.v = 1 - p.u, p.good &= (p.u >= 0) & (p.u <= 1);
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
    if (d.rest) d.rest[p.i] = rest;
    if (d.energy) d.energy[p.i] = eps;
    else if (d.half_energy) {
        float b = 4 * p.gamma * p.eps0;
        d.half_energy[p.i] = (uint16_t)bml_cuda__pack(eps * (1 + b) / (p.gamma * b), 0, 0);
    } else if (p.good) {
        float x = (bml_cuda__logf(eps) - d.ln_lower) * d.per_bin;
        atomicAdd(count + (x < 0 ? 0 : x < (float)d.bins ? (int)x + 1 : d.bins + 1), (Count)1);
    }
}

/* Photons of whose spectrum only an end is left, should the launch before have met any: rare, and apart, so that what
   they need is not held in registers elsewhere. */
static __global__ void __launch_bounds__(BML_CUDA__THREADS)
    bml_cuda__edge_kernel(const __grid_constant__ bml_cuda__draw d) {
    uint64_t units = 2 * ((d.n + 255) / 256), unit = (uint64_t)blockIdx.x * BML_CUDA__WARPS + threadIdx.x / 32;
    if (*d.met_edge != d.call) return;
    for (; unit < units; unit += (uint64_t)gridDim.x * BML_CUDA__WARPS) {
        bml_cuda__unit c = bml_cuda__unit_of(d, unit);
        BML_CUDA__ROLLED
        for (uint32_t w = 0; w < 4; w++) {
            bml_cuda__photon p = bml_cuda__photon_of(d, c, w);
            bml_cuda__pair pair;
            float rest, eps;
            if (!p.good) continue;
            pair = bml_cuda__prepare(p.gamma, p.eps0);
            if (pair.q <= 0.26f) continue;
            eps = bml_cuda__scatter_exactly(&rest, pair, p.u, p.v);
            bml_cuda__give(d, d.counts, p, eps, rest);
        }
    }
}

/* Shared memory: the table's nodes (TABLE), then the block's counts [bins + 2] (histogram). */
template <int METHOD>
__global__ void __launch_bounds__(BML_CUDA__THREADS)
    bml_cuda__compton_kernel(const __grid_constant__ bml_cuda__draw d) {
    BML_CUDA__DYNAMIC(float, node);
    const int n_nodes = METHOD == BML_CUDA_TABLE ? BML_SAMPLE__NT * BML_SAMPLE__NS : 0, one = !d.gamma && !d.eps0;
    unsigned *count = (unsigned *)(node + n_nodes);
    uint32_t b[METHOD == BML_CUDA_PUBLISHED ? BML_CUDA__FRAGMENTS : 1];
    float bias[METHOD == BML_CUDA_PUBLISHED ? BML_CUDA__BIASES : 1], log_gamma = 0, log_eps0 = 0;
    bml_cuda__pair pair = {};
    uint64_t unit, units = 2 * ((d.n + 255) / 256);
    BML_CUDA__EACH(i, n_nodes) {
        node[i] = d.nodes[i];
    }
    BML_CUDA__EACH(i, d.counts ? d.bins + 2 : 0) {
        count[i] = 0;
    }
    if (METHOD == BML_CUDA_PUBLISHED) bml_cuda__take_fragments(b, bias, d.fragments);
    if (one) pair = bml_cuda__prepare(d.same_gamma, d.same_eps0);
    if (one) log_gamma = bml_cuda__log10f(pair.gamma), log_eps0 = bml_cuda__log10f(pair.eps0);
    __syncthreads();
    for (unit = (uint64_t)blockIdx.x * BML_CUDA__WARPS + threadIdx.x / 32; unit < units;
         unit += (uint64_t)gridDim.x * BML_CUDA__WARPS) {
        bml_cuda__unit c = bml_cuda__unit_of(d, unit);
        BML_CUDA__ROLLED
        for (uint32_t w = 0; w < 4; w++) {
            bml_cuda__photon p = bml_cuda__photon_of(d, c, w);
            float eps = 0, rest = 0;
            if (METHOD == BML_CUDA_PUBLISHED) {
                if (!one) log_gamma = bml_cuda__log10f(p.gamma), log_eps0 = bml_cuda__log10f(p.eps0);
                eps = bml_cuda__unfold(&rest, bml_cuda__published(p.u, log_gamma, log_eps0, b, bias), p.gamma, p.eps0);
            } else if (p.good) {
                if (!one) pair = bml_cuda__prepare(p.gamma, p.eps0);
                if (!(pair.q <= 0.26f)) {
                    *d.met_edge = d.call; /* the next kernel's */
                    continue;
                }
                eps = bml_cuda__scatter<METHOD>(&rest, pair, p.u, p.v, d, node);
            }
            if (p.live) bml_cuda__give(d, count, p, eps, rest);
        }
    }
    __syncthreads();
    BML_CUDA__EACH(i, d.counts ? d.bins + 2 : 0) {
        if (count[i]) atomicAdd(d.counts + i, (unsigned long long)count[i]);
    }
}

/* >> Compton: the host's side */

struct bml_cuda_compton {
    bml_cuda *cuda;
    int method;
    uint32_t calls;
    void *nodes, *fragments, *refused; /* device; refused: a count, then met_edge */
};

static int bml_cuda__compton_tables(bml_cuda_compton *s, const bml_cuda_compton_config *config) {
    unsigned long long zero[2] = {0, 0};
    int status = bml_cuda__upload(&s->refused, zero, sizeof zero, s->cuda);
    if (!status && s->method == BML_CUDA_TABLE) {
        bml_sample_compton_nodes *nodes = (bml_sample_compton_nodes *)calloc(1, sizeof *nodes);
        if (!nodes) return BML_CUDA_NO_MEMORY;
        bml_sample_compton_table(nodes);
        status = bml_cuda__upload(&s->nodes, nodes->n, sizeof nodes->n, s->cuda);
        free(nodes);
    }
    if (!status && s->method == BML_CUDA_PUBLISHED) {
        uint32_t fragments[32 * (BML_CUDA__FRAGMENTS + BML_CUDA__BIASES)];
        for (int i = 0; i < BML_CUDA_PUBLISHED_WEIGHTS; i++) /* within half precision */
            if (!(fabsf(config->weights[i]) <= 65504.0f)) return BML_CUDA_BAD_ARGUMENT;
        bml_cuda__published_fragments(fragments, config->weights);
        status = bml_cuda__upload(&s->fragments, fragments, sizeof fragments, s->cuda);
    }
    return status;
}

int bml_cuda_compton_create(bml_cuda_compton **out, const bml_cuda_compton_config *config, bml_cuda *cuda) {
    bml_cuda_compton *s;
    int status = bml_cuda__enter(cuda), method = config ? config->method : BML_CUDA_NET;
    if (out) *out = NULL;
    if (status) return status;
    if (!out || method < 0 || method >= BML_CUDA_N_METHODS || (method == BML_CUDA_PUBLISHED && !config->weights))
        return BML_CUDA_BAD_ARGUMENT;
    s = (bml_cuda_compton *)calloc(1, sizeof *s);
    if (!s) return BML_CUDA_NO_MEMORY;
    s->cuda = cuda, s->method = method;
    status = bml_cuda__compton_tables(s, config);
    if (status) bml_cuda_compton_free(s);
    else *out = s;
    return status;
}

void bml_cuda_compton_free(bml_cuda_compton *s) {
    if (!s) return;
    bml_cuda_release(s->nodes, s->cuda);
    bml_cuda_release(s->fragments, s->cuda);
    bml_cuda_release(s->refused, s->cuda);
    free(s);
}

#ifndef BML_CUDA__LAUNCH_MOST /* photons counted by one launch; a multiple of 256 (the test takes a small one) */
#define BML_CUDA__LAUNCH_MOST ((uint64_t)1 << 31)
#endif

uint64_t bml_cuda_compton_blocks(uint64_t n) {
    return n / 256 * 64 + (n % 256 + 3) / 4;
}

/* The kernel's argument, but for where energies go. */
static int bml_cuda__draw_of(bml_cuda__draw *d, const bml_cuda_photons *p, const bml_cuda_compton *s) {
    memset(d, 0, sizeof *d);
    if (!p->gamma && !p->eps0 && !bml_sample__in_domain((double)p->same_gamma, (double)p->same_eps0))
        return BML_CUDA_OUT_OF_DOMAIN;
    d->n = p->n, d->pairs = p->pairs ? p->pairs : p->n ? p->n : 1, d->block0 = p->skip;
    d->gamma = p->gamma, d->eps0 = p->eps0, d->u = p->u, d->rest = p->rest;
    d->gamma_stride = p->gamma_stride ? p->gamma_stride : 1, d->eps0_stride = p->eps0_stride ? p->eps0_stride : 1;
    d->same_gamma = p->same_gamma, d->same_eps0 = p->same_eps0;
    d->key[0] = (uint32_t)p->seed, d->key[1] = (uint32_t)(p->seed >> 32);
    d->stream[0] = (uint32_t)p->stream, d->stream[1] = (uint32_t)(p->stream >> 32);
    d->refused = (unsigned long long *)s->refused, d->met_edge = (uint32_t *)(d->refused + 1);
    d->nodes = (const float *)s->nodes, d->fragments = (const uint32_t *)s->fragments;
    memcpy(d->w, bml_sample__weights, sizeof d->w);
    return BML_CUDA_OK;
}

template <int METHOD>
static int bml_cuda__launch_compton(const bml_cuda__draw &d, bml_cuda_stream stream, bml_cuda_compton *s) {
    size_t shared = (METHOD == BML_CUDA_TABLE ? sizeof(float) * BML_SAMPLE__NT * BML_SAMPLE__NS : 0) +
                    (d.counts ? sizeof(unsigned) * (size_t)(d.bins + 2) : 0);
    unsigned grid = bml_cuda__grid(s->cuda, bml_cuda__compton_kernel<METHOD>, shared, (d.n + 1023) / 1024);
    bml_cuda__draw part = d;
    const uint64_t most = d.counts ? BML_CUDA__LAUNCH_MOST : d.n; /* a block counts in 32 bits */
    for (uint64_t done = 0; done < d.n; done += most) {
        part.n = d.n - done < most ? d.n - done : most;
        part.call = ++s->calls;
        BML_CUDA__LAUNCH(bml_cuda__compton_kernel<METHOD>, grid, BML_CUDA__THREADS, shared, stream, part);
        if (METHOD != BML_CUDA_PUBLISHED)
            BML_CUDA__LAUNCH(bml_cuda__edge_kernel, grid, BML_CUDA__THREADS, 0, stream, part);
        part.block0 += most / 4; /* whole chunks, so what follows is as if there were one launch */
        part.pair0 = (part.pair0 + most) % d.pairs;
        if (d.u) part.u += most;
    }
    return bml_cuda__check(s->cuda, cudaGetLastError(), "Compton kernel");
}

static int bml_cuda__run_compton(const bml_cuda__draw &d, bml_cuda_stream stream, bml_cuda_compton *s) {
    if (!d.n) return BML_CUDA_OK;
    if (s->method == BML_CUDA_TABLE) return bml_cuda__launch_compton<BML_CUDA_TABLE>(d, stream, s);
    if (s->method == BML_CUDA_PUBLISHED) return bml_cuda__launch_compton<BML_CUDA_PUBLISHED>(d, stream, s);
    return bml_cuda__launch_compton<BML_CUDA_NET>(d, stream, s);
}

int bml_cuda_compton_sample(void *energy, const bml_cuda_photons *photons, bml_cuda_stream stream,
                            bml_cuda_compton *s) {
    bml_cuda__draw d;
    int status = s ? bml_cuda__enter(s->cuda) : BML_CUDA_BAD_ARGUMENT;
    if (status) return status;
    if (!energy || !photons || photons->n >= (uint64_t)1 << 40) return BML_CUDA_BAD_ARGUMENT;
    status = bml_cuda__draw_of(&d, photons, s);
    if (status) return status;
    if (photons->half) d.half_energy = (uint16_t *)energy;
    else d.energy = (float *)energy;
    return bml_cuda__run_compton(d, stream, s);
}

int bml_cuda_compton_histogram(const bml_cuda_bins *bins, const bml_cuda_photons *photons, bml_cuda_stream stream,
                               bml_cuda_compton *s) {
    bml_cuda__draw d;
    int status = s ? bml_cuda__enter(s->cuda) : BML_CUDA_BAD_ARGUMENT;
    if (status) return status;
    if (!bins || !photons || !bins->counts || bins->bins < 1 || bins->bins > BML_CUDA_MAX_BINS || !(bins->lower > 0) ||
        !(bins->upper > bins->lower) || !(bins->upper < 1e38) || photons->rest || photons->half)
        return BML_CUDA_BAD_ARGUMENT;
    status = bml_cuda__draw_of(&d, photons, s);
    if (status) return status;
    d.counts = (unsigned long long *)bins->counts, d.bins = bins->bins;
    d.ln_lower = (float)log(bins->lower);
    d.per_bin = (float)(bins->bins / log(bins->upper / bins->lower));
    return bml_cuda__run_compton(d, stream, s);
}

int bml_cuda_compton_refused(uint64_t *count, bml_cuda_stream stream, bml_cuda_compton *s) {
    bml_cuda_copy copy;
    int status = s ? bml_cuda__enter(s->cuda) : BML_CUDA_BAD_ARGUMENT;
    if (!status && !count) status = BML_CUDA_BAD_ARGUMENT;
    if (status) return status;
    copy.to = count, copy.from = s->refused, copy.bytes = sizeof *count;
    status = bml_cuda_get(&copy, stream, s->cuda);
    if (!status)
        status =
            bml_cuda__check(s->cuda, cudaMemsetAsync(s->refused, 0, sizeof *count, (cudaStream_t)stream), "memset");
    return status ? status : bml_cuda_wait(stream, s->cuda);
}

/* Device copies of the arrays of *p. */
static void bml_cuda__photons_to_device(bml_cuda_photons *p, bml_cuda__buffers *b) {
    size_t n = (size_t)p->n, pairs = (size_t)(p->pairs ? p->pairs : p->n);
    size_t g = p->gamma_stride ? p->gamma_stride : 1, e = p->eps0_stride ? p->eps0_stride : 1;
    if (!n || !pairs) return;
    if (pairs > (size_t)-1 / 16 / (g > e ? g : e)) {
        b->status = BML_CUDA_TOO_LARGE;
        return;
    }
    if (p->gamma) p->gamma = (const float *)bml_cuda__buffer(b, p->gamma, (pairs - 1) * g + 1, sizeof(float));
    if (p->eps0) p->eps0 = (const float *)bml_cuda__buffer(b, p->eps0, (pairs - 1) * e + 1, sizeof(float));
    if (p->u) p->u = (const float *)bml_cuda__buffer(b, p->u, n, sizeof(float));
    if (p->rest) p->rest = (float *)bml_cuda__buffer(b, NULL, n, sizeof(float));
}

static int bml_cuda__any_refused(bml_cuda__buffers *b, bml_cuda_compton *s) {
    uint64_t refused = 0;
    if (!b->status) b->status = bml_cuda_compton_refused(&refused, NULL, s);
    if (!b->status && refused)
        b->status = bml_cuda__fail(s->cuda, BML_CUDA_OUT_OF_DOMAIN, "%llu photons", (unsigned long long)refused);
    return b->status;
}

int bml_cuda_compton_sample_host(void *energy, const bml_cuda_photons *photons, bml_cuda_compton *s) {
    bml_cuda__buffers b = {s ? s->cuda : NULL, {}, 0, BML_CUDA_OK};
    bml_cuda_photons p;
    void *device;
    size_t n, size;
    uint64_t earlier;
    int status;
    if (!energy || !photons || !s || photons->n > (size_t)-1 / 16) return BML_CUDA_BAD_ARGUMENT;
    p = *photons, n = (size_t)p.n, size = p.half ? sizeof(uint16_t) : sizeof(float);
    if (!n) return BML_CUDA_OK;
    b.status = bml_cuda_compton_refused(&earlier, NULL, s);
    bml_cuda__photons_to_device(&p, &b);
    device = bml_cuda__buffer(&b, NULL, n, size);
    if (!b.status) b.status = bml_cuda_compton_sample(device, &p, NULL, s);
    bml_cuda__fetch(&b, energy, device, n * size);
    if (p.rest) bml_cuda__fetch(&b, photons->rest, p.rest, n * sizeof(float));
    status = bml_cuda__any_refused(&b, s);
    bml_cuda__done(&b);
    return status;
}

int bml_cuda_compton_histogram_host(const bml_cuda_bins *bins, const bml_cuda_photons *photons, bml_cuda_compton *s) {
    bml_cuda__buffers b = {s ? s->cuda : NULL, {}, 0, BML_CUDA_OK};
    bml_cuda_photons p;
    bml_cuda_bins device;
    uint64_t earlier;
    size_t bytes;
    int status;
    if (!bins || !bins->counts || !photons || !s || bins->bins < 1 || bins->bins > BML_CUDA_MAX_BINS)
        return BML_CUDA_BAD_ARGUMENT;
    p = *photons, device = *bins, bytes = sizeof *bins->counts * (size_t)(bins->bins + 2);
    memset(bins->counts, 0, bytes);
    b.status = bml_cuda_compton_refused(&earlier, NULL, s);
    bml_cuda__photons_to_device(&p, &b);
    device.counts = (uint64_t *)bml_cuda__buffer(&b, bins->counts, bytes, 1);
    if (!b.status) b.status = bml_cuda_compton_histogram(&device, &p, NULL, s);
    bml_cuda__fetch(&b, bins->counts, device.counts, bytes);
    status = bml_cuda__any_refused(&b, s);
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

static __device__ inline float bml_cuda__expm1(float x) {
    return expm1f(x);
}
static __device__ inline double bml_cuda__expm1(double x) {
    return expm1(x);
}

template <typename T> struct bml_cuda__tables { /* on the device; shapes as in struct bml_ssc */
    double h, time_step, c, syn_lo, loss_lo, gg_lo;
    int athena, r, n_phi, rows, row_pad, cols, g_lo, syn_n, loss_n, gg_n, max_ng, max_nx;
    const T *f, *syn, *syn1, *syn0, *loss, *gg;
    const int *span;
};

template <typename T> struct bml_cuda__blob { /* of one block, in shared memory */
    bml_cuda_source src;                      /* defaults resolved */
    int status, ng, nx, e0, g0, syn_lo, thomson_lo, n_thomson;
    double lg0, lx0, phi, b, l_B, absorb, a0, a1, a2, omega, dt, dt_last, t;
    T *gamma, *over_width, *Q, *M, *M1, *M2, *S, *base, *rate, *old, *flux, *slope, *work, *norm; /* [ng] */
    T *fit_a, *fit_b;                                                                             /* [ng] */
    T *x, *v, *target, *comp[2], *comp1[2], *comp2[2], *emit, *kappa, *suffix, *ssa;              /* [nx] */
    T *syn, *syn1, *syn0; /* [r nx + 2 ng + 8] by r k - 2 i - syn_lo */
    T *thomson, *conv;    /* [2 nx + 2 ng] by t - thomson_lo; [nx + 2 ng] by k - (2/r) i + 2 ng */
    T *loss, *gg;         /* [ng + nx] by i + j; [2 nx] by j + k */
    T *f, *sums;          /* [cols][row_pad]; [ng][row_pad] */
};

/* Cuts up `base` for a blob; NULL counts. */
template <typename T>
static __host__ __device__ size_t bml_cuda__layout(bml_cuda__blob<T> *b, T *base, const bml_cuda__tables<T> &t) {
    size_t ng = (size_t)t.max_ng, nx = (size_t)t.max_nx, pad = (size_t)t.row_pad, used = 0;
    T **electrons[] = {&b->gamma, &b->over_width, &b->Q,    &b->M,     &b->M1,   &b->M2,   &b->S,     &b->base,
                       &b->rate,  &b->old,        &b->flux, &b->slope, &b->work, &b->norm, &b->fit_a, &b->fit_b};
    T **photons[] = {&b->x,        &b->v,        &b->target, &b->comp[0], &b->comp[1], &b->comp1[0], &b->comp1[1],
                     &b->comp2[0], &b->comp2[1], &b->emit,   &b->kappa,   &b->suffix,  &b->ssa};
    T **other[] = {&b->syn, &b->syn1, &b->syn0, &b->thomson, &b->conv, &b->loss, &b->gg, &b->f, &b->sums};
    size_t lattice = (size_t)t.r * nx + 2 * ng + 8;
    size_t other_size[] = {
        lattice, lattice, lattice, 2 * nx + 2 * ng, nx + 2 * ng, ng + nx, 2 * nx, (size_t)t.cols * pad, ng * pad};
    for (size_t i = 0; i < sizeof electrons / sizeof *electrons; i++)
        *electrons[i] = base ? base + used : NULL, used += (ng + 1) & ~(size_t)1;
    for (size_t i = 0; i < sizeof photons / sizeof *photons; i++)
        *photons[i] = base ? base + used : NULL, used += (nx + 1) & ~(size_t)1;
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) /* even sizes: doubles may lie there, too */
        *other[i] = base ? base + used : NULL, used += (other_size[i] + 1) & ~(size_t)1;
    return used;
}

template <typename T> static __device__ T bml_cuda__at(const T *value, int n, double lo, double ln_y, double h) {
    double u = (ln_y - lo) * BML_SSC__FINE / h;
    int i = (int)floor(u);
    if (!(u >= 0) || i >= n - 1) return 0;
    return value[i] + (T)(u - i) * (value[i + 1] - value[i]);
}

/* >> SSC: the source */

static __device__ int bml_cuda__in_range(double *value, double otherwise, double lo, double hi) {
    if (*value == 0) *value = otherwise;
    return *value >= lo && *value <= hi;
}

static __device__ int bml_cuda__resolve(bml_cuda_source *s) { /* as bml_ssc__resolve and bml_ssc__observer */
    int good = bml_cuda__in_range(&s->R, 1e16, 1e8, 1e22) & bml_cuda__in_range(&s->B, 0.1, 1e-8, 1e6) &
               bml_cuda__in_range(&s->gamma_min, 100, 1, 1e10) & bml_cuda__in_range(&s->gamma_max, 1e6, 1, 1e10) &
               bml_cuda__in_range(&s->compactness, 1e-4, 1e-20, 1e3) & bml_cuda__in_range(&s->p, 2, -10, 10) &
               bml_cuda__in_range(&s->t_end, 5, 1e-300, 1e6) & bml_cuda__in_range(&s->electron_escape, 1, 1e-3, 1e6) &
               bml_cuda__in_range(&s->gamma_break, 1e4, 1e-3, 1e12) & bml_cuda__in_range(&s->p2, 3, -10, 10) &
               bml_cuda__in_range(&s->curvature, 0, -10, 10) & bml_cuda__in_range(&s->delta, 1, 1e-300, 1e6) &
               bml_cuda__in_range(&s->redshift, 0, 0, 1e4) & (s->distance > 0 && s->distance < 1e300);
    if (!good || s->injection < 0 || s->injection >= BML_SSC_TABLE || s->self_absorption < 0 ||
        s->self_absorption > BML_SSC_SSA_HEATING)
        return BML_CUDA_PARAMETER;
    return s->gamma_max > s->gamma_min ? BML_CUDA_OK : BML_CUDA_ORDER;
}

static __device__ double bml_cuda__shape(const bml_cuda_source &s, double gamma) {
    double y = log(gamma / s.gamma_break);
    switch (s.injection) {
    case BML_SSC_BROKEN: return exp(-(y < 0 ? s.p : s.p2) * y);
    case BML_SSC_LOG_PARABOLA: return exp(-(s.p + s.curvature * y / BML_SSC__LN10) * y);
    case BML_SSC_CUTOFF: return exp(-s.p * y - gamma / s.gamma_break);
    default: return exp(-s.p * log(gamma / s.gamma_min));
    }
}

static __device__ double bml_cuda__injected_energy(const bml_cuda_source &s, double lo, double hi) {
    static const double x[4] = {0.18343464249564980, 0.52553240991632899, 0.79666647741362674, 0.96028985649753623};
    static const double w[4] = {0.36268378337836198, 0.31370664587788729, 0.22238103445337447, 0.10122853629037626};
    double sum = 0, mid = 0.5 * log(lo * hi), half = 0.5 * log(hi / lo);
    if (s.injection == BML_SSC_POWER_LAW) {
        double y = (2 - s.p) * 2 * half, scale = bml_cuda__shape(s, lo) * lo * lo;
        return scale * 2 * half * (fabs(y) < 1e-8 ? 1 + 0.5 * y : expm1(y) / y);
    }
    for (int i = 0; i < 8; i++) {
        double gamma = exp(mid + (i & 1 ? half : -half) * x[i / 2]);
        sum += half * w[i / 2] * gamma * gamma * bml_cuda__shape(s, gamma);
    }
    return sum;
}

/* One thread: grids' numbers. */
template <typename T> static __device__ int bml_cuda__grids(bml_cuda__blob<T> &b, const bml_cuda__tables<T> &t) {
    double h = t.h, top = log(b.src.gamma_max), G0;
    b.b = b.src.B / (t.athena ? 4.414e13 : BML_SSC__B_CRIT);
    b.l_B = BML_SSC__SIGMA_T * b.src.R * b.src.B * b.src.B / (8 * BML_SSC__PI * BML_SSC__MC2);
    b.absorb =
        BML_SSC__LAMBDA_C * BML_SSC__LAMBDA_C * BML_SSC__LAMBDA_C / (8 * BML_SSC__PI * BML_SSC__SIGMA_T * b.src.R);
    if (t.athena) {
        b.lg0 = -h;
        b.ng = (int)floor((top - b.lg0) / h + 1e-8) + 1;
        b.lx0 = log(b.b) + 2 * h;
        b.nx = (int)floor((top - b.lx0) / (2 * h)) + 3;
        b.e0 = (int)floor((b.lx0 - b.lg0) / h);
        b.phi = (b.lx0 - b.lg0) / h - b.e0;
    } else {
        b.ng = (int)ceil(top / h - 1e-8);
        b.lg0 = top - (b.ng - 0.5) * h;
        b.nx = (int)ceil((top - log(0.1 * b.b)) / h);
        b.lx0 = top - (b.nx - 0.5) * h;
        b.e0 = b.ng - b.nx;
        G0 = (b.lx0 + b.lg0 + BML_SSC__LN4) / h;
        b.phi = G0 - floor(G0);
    }
    G0 = (b.lx0 + b.lg0 + BML_SSC__LN4) / h - b.phi - t.c;
    b.g0 = (int)floor(G0 + 0.5);
    b.syn_lo = -2 * b.ng - 2;
    return b.ng <= t.max_ng && b.nx <= t.max_nx ? BML_CUDA_OK : BML_CUDA_OUTSIDE;
}

/* Q [ng]; leaves b.status. Numbers before normalisation may be huge, so they are double: they lie in the room of
   sums. Begins and ends with all threads together. */
template <typename T> static __device__ void bml_cuda__inject(bml_cuda__blob<T> &b, const bml_cuda__tables<T> &t) {
    double total = 0, *energy = (double *)(void *)b.sums, *number = energy + b.ng;
    BML_CUDA__EACH(i, b.ng) {
        double gamma = exp(b.lg0 + t.h * i), lo = fmax(gamma * exp(-0.5 * t.h), b.src.gamma_min), at = log10(gamma);
        double hi = i + 1 < b.ng ? fmin(gamma * exp(0.5 * t.h), b.src.gamma_max) : b.src.gamma_max;
        int inside = at >= log10(b.src.gamma_min) - 1e-9 && at <= log10(b.src.gamma_max) + 1e-9;
        energy[i] = hi > lo ? bml_cuda__injected_energy(b.src, lo, hi) : 0;
        if (!t.athena) number[i] = energy[i] / gamma;
        else number[i] = inside ? bml_cuda__shape(b.src, gamma) * t.h * gamma : 0;
    }
    __syncthreads();
    for (int i = 0; i < b.ng; i++) total += energy[i];
    if (threadIdx.x == 0 && !(total > 0 && total < HUGE_VAL)) b.status = BML_CUDA_PARAMETER;
    BML_CUDA__EACH(i, b.ng) {
        b.Q[i] = (T)(BML_CUDA__MANY * 3 * b.src.compactness / total * number[i]);
    }
    __syncthreads();
}

template <typename T>
static __device__ double bml_cuda__syn_norm(const bml_cuda__blob<T> &b, const bml_cuda__tables<T> &t, int i) {
    double power = 0, gamma = (double)b.gamma[i];
    if (!t.athena) return 1;
    for (int k = 0; k < b.nx; k++) power += (double)b.syn[t.r * k - 2 * i - b.syn_lo] * (double)b.x[k];
    power *= t.r * t.h;
    return power > 0 ? 4.0 / 3 * b.l_B * gamma * gamma / power : 0;
}

static __device__ double bml_cuda__thomson_integral(double q) {
    q = q < 1 ? q : 1;
    return q > 0 ? q * q * (0.5 + q * (2 * log(q) / 3 + 1.0 / 9.0 - 0.5 * q)) : 0;
}

/* 4 q f(q) in the Thomson limit, f averaged over a cell on the converged grid. */
static __device__ double bml_cuda__thomson(double q, double hx, int average) {
    double f;
    if (q < 1e-7) f = average ? sinh(hx) / hx : 1;
    else if (average)
        f = (bml_cuda__thomson_integral(q * exp(0.5 * hx)) - bml_cuda__thomson_integral(q * exp(-0.5 * hx))) /
            (q * q * hx);
    else f = q < 1 ? 2 * q * log(q) + (1 + 2 * q) * (1 - q) : 0;
    return 4 * q * f;
}

/* Synchrotron and Compton kernels of this source. */
template <typename T> static __device__ void bml_cuda__kernels(bml_cuda__blob<T> &b, const bml_cuda__tables<T> &t) {
    double h = t.h, y0 = b.lx0 - 2 * b.lg0 - log(1.5 * b.b), unit = 8 * b.l_B / (9 * b.b), u = b.phi * t.n_phi, q0;
    int r = t.r, per = t.cols / r, ip = BML_SSC__MIN((int)u, t.n_phi - 1), pad = t.row_pad;
    int plane = r * t.cols * pad;
    BML_CUDA__EACH(d, r * b.nx + 2 * b.ng + 6) {
        double ln_y = y0 + h * (d + b.syn_lo);
        b.syn[d] = (T)(unit * (double)bml_cuda__at(t.syn, t.syn_n, t.syn_lo, ln_y, h));
        b.syn1[d] = (T)(unit * (double)bml_cuda__at(t.syn1, t.syn_n, t.syn_lo, ln_y, h));
        b.syn0[d] = (T)(unit * (double)bml_cuda__at(t.syn0, t.syn_n, t.syn_lo, ln_y, h));
    }
    BML_CUDA__EACH(at, t.cols * pad) { /* f between two phi, times 4 E/G */
        int m = at % pad, col = at / pad % per, sel = at / pad / per,
            shift = r == 1 ? 0 : (sel + b.e0 + b.g0 - t.g_lo) & 1;
        const T *f = t.f + (size_t)ip * (size_t)plane + (size_t)((sel * t.cols + col * r + shift) * pad + m);
        double E_over_G = exp(h * ((t.athena ? b.phi : 0) - (m * r + sel) - (t.g_lo + col * r + shift + b.phi + t.c)));
        b.f[at] = (T)(4 * E_over_G) * (f[0] + (T)(u - ip) * (f[plane] - f[0]));
    }
    q0 = h * (b.e0 - b.g0 - t.c - (t.athena ? 0 : b.phi));
    BML_CUDA__EACH(i, b.n_thomson) {
        b.thomson[i] = (T)bml_cuda__thomson(exp(q0 - r * h * (i + b.thomson_lo)), r * h, !t.athena);
    }
    if (!t.athena) {
        BML_CUDA__EACH(i, b.ng + b.nx) { /* (4/G) int f E dE */
            double ln_G = h * (i + b.g0 + b.phi), G = exp(ln_G), low = G * G / 9 * (1 - 1.575 * G);
            T ln_f = bml_cuda__at(t.loss, t.loss_n, t.loss_lo, ln_G, h);
            b.loss[i] = (T)(4 / G * (ln_G <= t.loss_lo ? low : exp((double)ln_f)));
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
template <typename T>
static __device__ void bml_cuda__begin(bml_cuda__blob<T> &b, const bml_cuda__tables<T> &t,
                                       const bml_cuda_source *source) {
    __syncthreads();
    if (threadIdx.x == 0) {
        double q0;
        b.src = *source;
        b.status = bml_cuda__resolve(&b.src);
        if (!b.status) b.status = bml_cuda__grids(b, t);
        q0 = b.e0 - b.g0 - t.c - (t.athena ? 0 : b.phi);
        b.thomson_lo = b.status ? 0 : (int)floor(q0 / t.r - 0.5);
        b.n_thomson = BML_SSC__MAX(0, b.nx + 2 / t.r * b.ng - b.thomson_lo);
        b.n_thomson = BML_SSC__MIN(b.n_thomson, 2 * b.nx + 2 / t.r * b.ng);
        b.dt_last = b.t = 0;
    }
    __syncthreads();
    if (b.status) return;
    BML_CUDA__EACH(i, b.ng) {
        double gamma = exp(b.lg0 + t.h * i);
        double width = t.athena ? t.h * gamma : gamma * exp(0.5 * t.h) - fmax(gamma * exp(-0.5 * t.h), 1.0);
        b.gamma[i] = (T)gamma, b.over_width[i] = (T)(gamma / width);
        b.M[i] = b.M1[i] = b.M2[i] = b.flux[i] = b.slope[i] = 0;
    }
    BML_CUDA__EACH(k, b.nx) {
        double x = exp(b.lx0 + t.r * t.h * k);
        b.x[k] = (T)x, b.ssa[k] = (T)(b.absorb / x / x), b.v[k] = b.kappa[k] = 0;
        for (int c = 0; c < 2; c++) b.comp[c][k] = b.comp1[c][k] = b.comp2[c][k] = 0;
    }
    bml_cuda__inject(b, t);
    if (!b.status) bml_cuda__kernels(b, t);
    __syncthreads();
}

/* >> SSC: a time step */

template <typename T> static __device__ T bml_cuda__history(const bml_cuda__blob<T> &b, T last, T before) {
    T u = (T)b.a1 * last + (T)b.a2 * before;
    return (u > 0 ? u : last) / (T)b.dt;
}

template <typename T> static __device__ T bml_cuda__limited(T a, T c) {
    return (a > 0 && c > 0) || (a < 0 && c < 0) ? 2 * (a / (a + c)) * c : 0; /* a c may not be a float */
}

/* rate [ng] = |gamma_dot|/gamma of (5) and (8). */
template <typename T>
static __device__ void bml_cuda__losses(T *rate, const bml_cuda__blob<T> &b, const bml_cuda__tables<T> &t) {
    const T hx = (T)(t.r * t.h), syn = (T)(4.0 / 3 * b.l_B);
    const T *v = b.v, *x = b.x;
    BML_CUDA__EACH(i, b.ng) {
        const T *loss = b.loss + i;
        T gamma = b.gamma[i], sum[4] = {0, 0, 0, 0}, compton;
        int j = 0, nx = b.nx;
        if (!t.athena) {
            for (; j + 4 <= nx; j += 4)
                for (int m = 0; m < 4; m++) sum[m] += v[j + m] * loss[j + m];
            for (; j < nx; j++) sum[0] += v[j] * loss[j];
            compton = (T)0.75 * hx * ((sum[0] + sum[1]) + (sum[2] + sum[3]));
        } else { /* trapezoid rule up to the last node below 3/(4 gamma) */
            for (; j < nx && x[j] < (T)0.75 / gamma; j++) sum[0] += x[j] * v[j];
            compton = j < 2 ? 0 : (T)(4.0 / 3) * gamma * hx * (sum[0] - (x[0] * v[0] + x[j - 1] * v[j - 1]) / 2);
        }
        rate[i] = syn * gamma + compton;
    }
    __syncthreads();
}

/* Pair production: kappa, and pairs added to S; as bml_ssc__pairs. */
template <typename T>
static __device__ void bml_cuda__pairs(bml_cuda__blob<T> &b, const bml_cuda__tables<T> &t, double escape) {
    double hx = t.r * t.h;
    BML_CUDA__EACH(k, b.nx) {
        int from = BML_SSC__MIN(b.nx, BML_SSC__MAX(0, (int)floor(-2 * b.lx0 / hx) - k));
        T sum = 0, rate;
        for (int j = from; j < b.nx; j++) sum += b.v[j] * b.gg[j + k];
        sum *= (T)hx;
        rate = sum * b.v[k] * (T)hx;
        b.emit[k] = rate * ((T)escape + b.kappa[k]) / ((T)escape + sum);
        b.kappa[k] = sum;
    }
    __syncthreads();
    if (threadIdx.x == 0)
        for (int k = 0; k < b.nx; k++) {
            double gamma = 0.5 * exp(b.lx0 + hx * k);
            int i = (int)floor((log(gamma) - b.lg0) / t.h);
            if (gamma > 1 && i >= 0 && i + 1 < b.ng) {
                T w = ((T)gamma - b.gamma[i]) / (b.gamma[i + 1] - b.gamma[i]),
                  both = (T)(2 * BML_CUDA__MANY) * b.emit[k];
                b.S[i] += both * (1 - w);
                b.S[i + 1] += both * w;
            }
        }
    __syncthreads();
}

/* Weights of the exponentially fitted scheme: M = fit_b F + fit_a, F the flux from above; see bml_ssc__cool_fitted. */
template <typename T> static __device__ void bml_cuda__fit(bml_cuda__blob<T> &b, T lambda) {
    const T *g = b.work;
    BML_CUDA__EACH(i, b.ng) {
        b.work[i] = b.S[i] * b.rate[i] * b.over_width[i] / lambda;
    }
    __syncthreads();
    BML_CUDA__EACH(i, b.ng) {
        T tau = lambda / (b.rate[i] * b.over_width[i]), down = i > 0 ? g[i - 1] : 0, up, d, c1, c2, c3;
        up = i + 1 < b.ng ? g[i + 1] : BML_SSC__MAX(2 * g[i] - down, (T)0);
        d = bml_cuda__limited(up - g[i], g[i] - down);
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

/* M and flux from the top down: one thread. */
template <typename T>
static __device__ void bml_cuda__cool(bml_cuda__blob<T> &b, const bml_cuda__tables<T> &t, T lambda) {
    T F = 0;
    for (int i = b.ng - 1; i >= 0; i--) {
        T number, out;
        if (t.athena) {
            T rate = b.rate[i] * b.over_width[i];
            number = (b.S[i] + F) / (lambda + rate);
            out = rate * number;
        } else {
            number = F * b.fit_b[i] + b.fit_a[i];
            out = F + b.S[i] - lambda * number;
        }
        b.M[i] = number;
        b.flux[i] = F = out > 0 ? out : 0;
    }
}

/* Heating by absorbed photons, as bml_ssc__heat. fit_a: diffusion through the lower face of each cell, made by all;
   the tridiagonal system by one thread. */
template <typename T>
static __device__ void bml_cuda__heat(bml_cuda__blob<T> &b, const bml_cuda__tables<T> &t, T lambda) {
    T *c_up = b.work, *rhs = b.slope, rate_up = 0, diff_up = 0;
    BML_CUDA__EACH(i, b.ng) {
        const T *P = b.syn0 + (-2 * i + 1 - b.syn_lo);
        T D = 0;
        for (int k = 0; i > 0 && k < b.nx; k++) D += P[t.r * k] * b.v[k] * (b.ssa[k] * b.x[k]); /* n = v/x */
        b.fit_a[i] = i > 0 ? (T)(t.r * t.h) * D * b.gamma[i] * b.gamma[i - 1] / (b.gamma[i] - b.gamma[i - 1]) : 0;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int i = b.ng - 1; i >= 0; i--) {
            T rate = b.M[i] > 0 ? b.flux[i] / b.M[i] : b.rate[i] * b.over_width[i], diff = b.fit_a[i];
            T a = b.over_width[i] / b.gamma[i] / b.gamma[i] / b.gamma[i]; /* 1/(width gamma^2) */
            T diag = lambda + rate + diff * a + diff_up * a, source = b.S[i];
            if (i + 1 < b.ng) {
                T g = b.gamma[i + 1], in = rate_up + diff_up * (b.over_width[i + 1] / g / g / g);
                diag -= in * c_up[i + 1];
                source += in * rhs[i + 1];
            }
            rhs[i] = source / diag;
            c_up[i] =
                i > 0 ? diff * (b.over_width[i - 1] / b.gamma[i - 1] / b.gamma[i - 1] / b.gamma[i - 1]) / diag : 0;
            b.flux[i] = rate_up = rate;
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
template <typename T>
static __device__ void bml_cuda__move_electrons(bml_cuda__blob<T> &b, const bml_cuda__tables<T> &t) {
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
    if (b.src.pair_production) bml_cuda__pairs(b, t, b.a0 / b.dt + 1);
    if (!t.athena) bml_cuda__fit(b, lambda);
    if (threadIdx.x == 0) bml_cuda__cool(b, t, lambda);
    __syncthreads();
    if (b.src.self_absorption == BML_SSC_SSA_HEATING) bml_cuda__heat(b, t, lambda);
    if (b.src.self_absorption) {
        BML_CUDA__EACH(k, b.nx) {
            T up = (T)exp(t.h), down = (T)exp(-t.h), sum = 0;
            for (int i = 0; i < b.ng; i++) {
                const T *P = b.syn0 + t.r * k - 2 * i - 1 - b.syn_lo; /* faces above, below on the lattice r k - 2 i */
                sum += b.M[i] * b.over_width[i] / b.gamma[i] * (up * P[0] - down * P[2]);
            }
            b.kappa[k] += sum * (T)(1 / BML_CUDA__MANY) * b.ssa[k];
        }
    }
    BML_CUDA__EACH(i, b.ng) {
        T up = i + 1 < b.ng ? b.M[i + 1] : 0, down = i > 0 ? b.M[i - 1] : 0;
        b.slope[i] = b.M[i] > 0 ? bml_cuda__limited(up - b.M[i], b.M[i] - down) / b.M[i] : 0;
    }
    __syncthreads();
}

/* A component of the photons at the new time, from its emission. */
template <typename T> static __device__ void bml_cuda__move_photon(bml_cuda__blob<T> &b, int c, int k, T emitted) {
    T lambda = (T)(b.a0 / b.dt + 1);
    b.comp[c][k] = (bml_cuda__history(b, b.comp1[c][k], b.comp2[c][k]) + emitted) / (lambda + b.kappa[k]);
}

template <typename T> static __device__ void bml_cuda__synchrotron(bml_cuda__blob<T> &b, const bml_cuda__tables<T> &t) {
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
template <typename T>
static __device__ void bml_cuda__compton_sums(bml_cuda__blob<T> &b, const bml_cuda__tables<T> &t) {
    const T *v = b.target, decay = (T)exp(-t.r * t.h);
    int r = t.r, nx = b.nx, per = t.cols / r, pad = t.row_pad, lane = (int)threadIdx.x % 32, shift_d = 2 / r * b.ng;
    BML_CUDA__EACH(d, nx + shift_d) { /* d - shift_d = k - (2/r) i */
        int from = BML_SSC__MAX(0, d - shift_d + b.thomson_lo);
        const T *T_of = b.thomson - (d - shift_d) - b.thomson_lo;
        T sum = 0;
        for (int j = from; j < nx; j++) sum += v[j] * T_of[j];
        b.conv[d] = sum;
    }
    if (threadIdx.x == blockDim.x - 1) { /* suffix_j = sum_{j' >= j} v_j' x_j/x_j' */
        T sum = 0;
        for (int j = nx - 1; j >= 0; j--) b.suffix[j] = sum = v[j] + decay * sum;
    }
    __syncthreads();
    for (int i = (int)threadIdx.x / 32; i < b.ng; i += (int)blockDim.x / 32) {
        int sel = (i - b.e0) & (r - 1), shift = r == 1 ? 0 : (sel + b.e0 + b.g0 - t.g_lo) & 1;
        int j0 = (t.g_lo + shift - i - b.g0) / r;
        for (int m = lane; m < pad; m += 32) {
            const T *F = b.f + sel * per * pad + m;
            int lo = BML_SSC__MAX(t.span[m / 8 * 2], -j0), hi = t.span[m / 8 * 2 + 1], end = BML_SSC__MIN(hi, nx - j0);
            T sum = 0;
            for (int col = lo; col < end; col++) sum += v[j0 + col] * F[col * pad];
            if (j0 + hi < nx) { /* beyond, f is what it is at the last column, and 4E/G falls as 1/x */
                int from = BML_SSC__MAX(0, j0 + hi), steps = from - (j0 + hi - 1);
                sum += F[(hi - 1) * pad] * b.suffix[from] * (steps == 1 ? decay : (T)exp(-r * t.h * steps));
            }
            b.sums[i * pad + m] = sum;
        }
    }
    __syncthreads();
}

template <typename T> static __device__ void bml_cuda__compton(bml_cuda__blob<T> &b, const bml_cuda__tables<T> &t) {
    int r = t.r, ng = b.ng, pad = t.row_pad;
    T w = (T)(0.75 * r * t.h / BML_CUDA__MANY);
    bml_cuda__compton_sums(b, t);
    BML_CUDA__EACH(k, b.nx) {
        int low = r * k + b.e0, i = BML_SSC__MAX(0, low), end = BML_SSC__MIN(ng, low + t.rows);
        const T *conv = b.conv + k + 2 / r * ng;
        T sum = 0;
        for (; i < end; i++)
            if (b.gamma[i] > 1) sum += b.M[i] * b.sums[i * pad + (i - low) / r];
        for (i = BML_SSC__MAX(0, low + t.rows); i < ng; i++)
            if (b.gamma[i] > 1) sum += b.M[i] * conv[-(2 / r) * i];
        bml_cuda__move_photon(b, 1, k, w * sum);
        b.v[k] = b.comp[0][k] + b.comp[1][k];
    }
    __syncthreads();
}

template <typename T> static __device__ void bml_cuda__swap(T **a, T **c) {
    T *kept = *a;
    *a = *c, *c = kept;
}

/* BDF2's coefficients, the history, and a first guess of the photons, linear in time. */
template <typename T> static __device__ void bml_cuda__start_step(bml_cuda__blob<T> &b, double dt) {
    __syncthreads();
    if (threadIdx.x == 0) {
        double w = b.dt_last > 0 ? dt / b.dt_last : 0;
        b.dt = dt, b.omega = w, b.a0 = (1 + 2 * w) / (1 + w), b.a1 = 1 + w, b.a2 = -w * w / (1 + w);
        bml_cuda__swap(&b.M2, &b.M1);
        for (int c = 0; c < 2; c++) bml_cuda__swap(&b.comp2[c], &b.comp1[c]), bml_cuda__swap(&b.comp1[c], &b.comp[c]);
    }
    __syncthreads();
    BML_CUDA__EACH(i, b.ng) {
        b.M1[i] = b.M[i];
        b.base[i] = bml_cuda__history(b, b.M1[i], b.M2[i]) + b.Q[i];
    }
    BML_CUDA__EACH(k, b.nx) {
        for (int c = 0; c < 2; c++) {
            T last = b.comp1[c][k], guess = last + (T)b.omega * (last - b.comp2[c][k]);
            b.comp[c][k] = guess > last / 2 ? guess : last / 2;
        }
        b.v[k] = b.comp[0][k] + b.comp[1][k];
    }
    __syncthreads();
}

/* One step; the status is the same in all threads. */
template <typename T>
static __device__ int bml_cuda__step(bml_cuda__blob<T> &b, const bml_cuda__tables<T> &t, double dt) {
    T change = 1;
    bml_cuda__start_step(b, dt);
    bml_cuda__losses(b.rate, b, t);
    for (int pass = 0; pass < 60 && !(change <= (T)1e-3); pass++) {
        bml_cuda__move_electrons(b, t);
        bml_cuda__synchrotron(b, t);
        bml_cuda__compton(b, t);
        bml_cuda__losses(b.old, b, t);
        BML_CUDA__EACH(i, b.ng) {
            b.work[i] = (T)fabs(b.old[i] - b.rate[i]) / b.old[i];
            if (pass >= 8) b.old[i] = (b.old[i] + b.rate[i]) / 2; /* a slow or circling fixed point is met half-way */
        }
        __syncthreads();
        change = 0;
        for (int i = 0; i < b.ng; i++)
            if (!(b.work[i] <= change)) change = b.work[i]; /* a NaN stays */
        if (threadIdx.x == 0) bml_cuda__swap(&b.old, &b.rate);
        __syncthreads();
    }
    if (threadIdx.x == 0) b.dt_last = dt, b.t += dt;
    __syncthreads();
    if (change != change) return BML_CUDA_PARAMETER;
    return change <= (T)1e-3 ? BML_CUDA_OK : BML_CUDA_NOT_CONVERGED;
}

/* >> SSC: what comes out */

/* ln of x^2 n of a component at ln x, as bml_ssc__evaluate. */
template <typename T> static __device__ double bml_cuda__node(const bml_cuda__blob<T> &b, int component, int k) {
    double v;
    if (k < 0 || k >= b.nx) return -HUGE_VAL;
    v = (double)(component == BML_SSC_TOTAL ? b.v[k] : component == BML_SSC_SYNCHROTRON ? b.comp[0][k] : b.comp[1][k]);
    return v <= 0 ? -HUGE_VAL : log(v * (double)b.x[k]);
}

template <typename T>
static __device__ double bml_cuda__evaluate(const bml_cuda__blob<T> &b, const bml_cuda__tables<T> &t, int component,
                                            double ln_x) {
    double u = (ln_x - b.lx0) / (t.r * t.h), w, y0, y1, y2, y3;
    int k;
    if (!(u < b.nx - (t.athena ? 1.0 : 0.5))) return -HUGE_VAL;
    k = u < 0 ? 0 : BML_SSC__MIN((int)u, b.nx - 2);
    w = u - k;
    y0 = bml_cuda__node(b, component, k - 1), y1 = bml_cuda__node(b, component, k);
    y2 = bml_cuda__node(b, component, k + 1), y3 = bml_cuda__node(b, component, k + 2);
    if (!(y1 > -HUGE_VAL && y2 > -HUGE_VAL)) return -HUGE_VAL;
    if (t.athena || w < 0 || w > 1 || !(y0 > -HUGE_VAL && y3 > -HUGE_VAL)) return y1 + w * (y2 - y1);
    return y1 + 0.5 * w * (y2 - y0 + w * (2 * y0 - 5 * y1 + 4 * y2 - y3 + w * (3 * (y1 - y2) + y3 - y0)));
}

template <typename T>
static __device__ void bml_cuda__observe(double *out, const bml_cuda__blob<T> &b, const bml_cuda__tables<T> &t,
                                         const bml_cuda_spectra &s) {
    double delta2 = b.src.delta * b.src.delta, unit, shift;
    if (b.status && b.status != BML_CUDA_NOT_CONVERGED) {
        BML_CUDA__EACH(i, s.n_nu) {
            out[i] = BML_CUDA__NAN;
        }
        return;
    }
    unit = 4 * BML_SSC__PI * b.src.R * BML_SSC__MC2 * BML_SSC__C / (3 * BML_SSC__SIGMA_T);
    unit *= delta2 * delta2 / (4 * BML_SSC__PI * b.src.distance * b.src.distance);
    shift = (1 + b.src.redshift) / b.src.delta * BML_SSC__H / BML_SSC__MC2;
    BML_CUDA__EACH(i, s.n_nu) {
        double value = unit * exp(bml_cuda__evaluate(b, t, s.component, log(s.nu[i] * shift)));
        if (s.absorption) value *= s.absorption[i];
        out[i] = s.nu[i] > 0 && s.nu[i] < HUGE_VAL ? value : BML_CUDA__NAN;
    }
}

/* A block a source, and then the next. workspace: NULL = in shared memory, else [blocks][size]. */
template <typename T>
__global__ void __launch_bounds__(BML_CUDA__THREADS, 2)
    bml_cuda__ssc_kernel(const bml_cuda_spectra s, const bml_cuda__tables<T> t, T *workspace, size_t size) {
    BML_CUDA__DYNAMIC(T, shared);
    __shared__ bml_cuda__blob<T> b;
    if (threadIdx.x == 0) bml_cuda__layout(&b, workspace ? workspace + (size_t)blockIdx.x * size : shared, t);
    for (int row = (int)blockIdx.x; row < s.n; row += (int)gridDim.x) {
        bml_cuda__begin(b, t, s.sources + row);
        if (!b.status) {
            double steps = ceil(b.src.t_end / t.time_step - 1e-9), t_end = b.src.t_end;
            int n = steps < 1 ? 1 : (int)steps, status = BML_CUDA_OK, one = BML_CUDA_OK;
            for (int i = 0; i < n && one != BML_CUDA_PARAMETER; i++) {
                one = bml_cuda__step(b, t, t_end * (i + 1) / n - b.t);
                if (one) status = one;
            }
            if (threadIdx.x == 0) b.status = status;
            __syncthreads();
        }
        bml_cuda__observe(s.out + (size_t)row * (size_t)s.n_nu, b, t, s);
        if (threadIdx.x == 0) s.status[row] = b.status;
    }
}

/* >> SSC: the host's side */

struct bml_cuda_ssc {
    bml_cuda *cuda;
    int single, in_shared;
    size_t size, bytes; /* of a source's state: numbers, bytes of shared memory */
    unsigned blocks;    /* for which there is workspace, when not in shared memory */
    bml_cuda__tables<double> d;
    bml_cuda__tables<float> s;
    void *memory, *span, *workspace; /* device */
};

/* The CPU's tables as T, one after another, in memory of the host; offset[6]: where each begins. NULL without
   memory. */
template <typename T>
static T *bml_cuda__convert(size_t *count, size_t *offset, bml_cuda__tables<T> *t, const bml_ssc *c) {
    size_t n_f = (size_t)(c->n_phi + 1) * (size_t)c->r * (size_t)c->cols * (size_t)c->row_pad, used = 0;
    const double *from[] = {c->f, c->syn.value, c->syn1.value, c->syn0.value, c->loss.value, c->gg.value};
    size_t n[] = {n_f, (size_t)c->syn.n, (size_t)c->syn1.n, (size_t)c->syn0.n, (size_t)c->loss.n, (size_t)c->gg.n};
    T *all;
    for (int i = 0; i < 6; i++) offset[i] = used, used += n[i];
    all = (T *)malloc(used * sizeof *all);
    *count = used;
    for (int i = 0; all && i < 6; i++)
        for (size_t k = 0; k < n[i]; k++) all[offset[i] + k] = (T)from[i][k];
    t->h = c->h, t->time_step = c->time_step, t->c = c->c;
    t->syn_lo = c->syn.lo, t->loss_lo = c->loss.lo, t->gg_lo = c->gg.lo;
    t->syn_n = c->syn.n, t->loss_n = c->loss.n, t->gg_n = c->gg.n;
    t->athena = c->grid == BML_SSC_ATHENA, t->r = c->r, t->n_phi = c->n_phi, t->rows = c->rows, t->row_pad = c->row_pad;
    t->cols = c->cols, t->g_lo = c->g_lo;
    return all;
}

/* Largest grids of any source within the limits. */
template <typename T>
static void bml_cuda__limits(bml_cuda__tables<T> *t, const bml_ssc *c, double gamma_max, double B_min) {
    double top = log(gamma_max), low = log(0.1 * B_min / BML_SSC__B_CRIT);
    t->max_ng = BML_SSC__MIN((int)(top / t->h) + 4, c->max_ng);
    t->max_nx = BML_SSC__MIN((int)((top - low) / (t->r * t->h)) + 6, c->max_nx);
}

template <typename T>
static int bml_cuda__ssc_prepare(bml_cuda_ssc *s, bml_cuda__tables<T> *t, const bml_ssc *tables,
                                 const bml_cuda_ssc_config *config) {
    bml_cuda *cuda = s->cuda;
    size_t count = 0, offset[6];
    const T **pointer[] = {&t->f, &t->syn, &t->syn1, &t->syn0, &t->loss, &t->gg};
    T *all = bml_cuda__convert(&count, offset, t, tables);
    bml_cuda__blob<T> blob;
    int status = all ? bml_cuda__upload(&s->memory, all, count * sizeof(T), cuda) : BML_CUDA_NO_MEMORY;
    free(all);
    if (!status) status = bml_cuda__upload(&s->span, tables->span, sizeof tables->span, cuda);
    if (status) return status;
    for (int i = 0; i < 6; i++) *pointer[i] = (const T *)s->memory + offset[i];
    t->span = (const int *)s->span;
    bml_cuda__limits(t, tables, config->gamma_max, config->B_min);
    s->size = bml_cuda__layout(&blob, (T *)NULL, *t);
    s->bytes = s->size * sizeof(T);
    s->in_shared = s->bytes + sizeof blob + 1024 <= cuda->shared;
    if (s->in_shared)
        return bml_cuda__check(
            cuda,
            cudaFuncSetAttribute(bml_cuda__ssc_kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)s->bytes),
            "shared memory");
    s->bytes = 0;
    s->blocks = bml_cuda__grid(cuda, bml_cuda__ssc_kernel<T>, 0, 1u << 16);
    return bml_cuda_alloc(&s->workspace, (size_t)s->blocks * s->size * sizeof(T), cuda);
}

int bml_cuda_ssc_create(bml_cuda_ssc **out, const bml_cuda_ssc_config *config, bml_cuda *cuda) {
    bml_cuda_ssc_config c;
    bml_ssc_config cpu;
    bml_ssc *tables = NULL;
    bml_cuda_ssc *s;
    int status = bml_cuda__enter(cuda), made;
    if (out) *out = NULL;
    if (status) return status;
    memset(&c, 0, sizeof c);
    if (config) c = *config;
    if (c.gamma_max == 0) c.gamma_max = 1e10;
    if (c.B_min == 0) c.B_min = 1e-8;
    if (!out || !(c.gamma_max > 1 && c.gamma_max <= 1e10) || !(c.B_min >= 1e-8 && c.B_min <= 1e6))
        return BML_CUDA_BAD_ARGUMENT;
    cpu.grid = (bml_ssc_grid)c.grid, cpu.pitch = (bml_ssc_pitch)c.pitch;
    cpu.spacing = c.spacing, cpu.time_step = c.time_step;
    made = bml_ssc_create(&tables, &cpu);
    if (made)
        return bml_cuda__fail(cuda, made == BML_SSC_MEMORY ? BML_CUDA_NO_MEMORY : BML_CUDA_BAD_ARGUMENT, "%s",
                              bml_ssc_strerror(made));
    s = (bml_cuda_ssc *)calloc(1, sizeof *s);
    if (!s) status = BML_CUDA_NO_MEMORY;
    else {
        s->cuda = cuda, s->single = c.single != 0;
        status = s->single ? bml_cuda__ssc_prepare(s, &s->s, tables, &c) : bml_cuda__ssc_prepare(s, &s->d, tables, &c);
    }
    bml_ssc_free(tables);
    if (status) bml_cuda_ssc_free(s);
    else *out = s;
    return status;
}

void bml_cuda_ssc_free(bml_cuda_ssc *s) {
    if (!s) return;
    bml_cuda_release(s->memory, s->cuda);
    bml_cuda_release(s->span, s->cuda);
    bml_cuda_release(s->workspace, s->cuda);
    free(s);
}

template <typename T>
static int bml_cuda__launch_ssc(const bml_cuda_spectra &spectra, const bml_cuda__tables<T> &t, bml_cuda_stream stream,
                                bml_cuda_ssc *s) {
    unsigned grid = (unsigned)spectra.n;
    if (s->in_shared) grid = bml_cuda__grid(s->cuda, bml_cuda__ssc_kernel<T>, s->bytes, grid);
    else if (grid > s->blocks) grid = s->blocks;
    BML_CUDA__LAUNCH(bml_cuda__ssc_kernel<T>, grid, BML_CUDA__THREADS, s->bytes, stream, spectra, t, (T *)s->workspace,
                     s->size);
    return bml_cuda__check(s->cuda, cudaGetLastError(), "SSC kernel");
}

int bml_cuda_ssc_solve(const bml_cuda_spectra *spectra, bml_cuda_stream stream, bml_cuda_ssc *s) {
    int status = s ? bml_cuda__enter(s->cuda) : BML_CUDA_BAD_ARGUMENT;
    if (status) return status;
    if (!spectra || spectra->n < 0 || spectra->n_nu < 1 || spectra->component < 0 ||
        spectra->component > BML_SSC_COMPTON)
        return BML_CUDA_BAD_ARGUMENT;
    if (spectra->n == 0) return BML_CUDA_OK;
    if (!spectra->out || !spectra->status || !spectra->sources || !spectra->nu) return BML_CUDA_BAD_ARGUMENT;
    return s->single ? bml_cuda__launch_ssc(*spectra, s->s, stream, s)
                     : bml_cuda__launch_ssc(*spectra, s->d, stream, s);
}

int bml_cuda_ssc_solve_host(const bml_cuda_spectra *spectra, bml_cuda_ssc *s) {
    bml_cuda__buffers b = {s ? s->cuda : NULL, {}, 0, BML_CUDA_OK};
    bml_cuda_spectra d;
    size_t n, n_nu;
    int status;
    if (!s || !spectra || spectra->n < 0 || spectra->n_nu < 1 || !spectra->out || !spectra->status ||
        !spectra->sources || !spectra->nu)
        return BML_CUDA_BAD_ARGUMENT;
    d = *spectra, n = (size_t)d.n, n_nu = (size_t)d.n_nu;
    if (!n) return BML_CUDA_OK;
    d.sources = (const bml_cuda_source *)bml_cuda__buffer(&b, d.sources, n, sizeof *d.sources);
    d.nu = (const double *)bml_cuda__buffer(&b, d.nu, n_nu, sizeof *d.nu);
    if (d.absorption) d.absorption = (const double *)bml_cuda__buffer(&b, d.absorption, n_nu, sizeof *d.absorption);
    d.out = (double *)bml_cuda__buffer(&b, NULL, n * n_nu, sizeof *d.out);
    d.status = (int *)bml_cuda__buffer(&b, NULL, n, sizeof *d.status);
    if (!b.status) b.status = bml_cuda_ssc_solve(&d, NULL, s);
    bml_cuda__fetch(&b, spectra->out, d.out, n * n_nu * sizeof *d.out);
    bml_cuda__fetch(&b, spectra->status, d.status, n * sizeof *d.status);
    status = bml_cuda__done(&b);
    for (size_t i = 0; !status && i < n; i++) status = spectra->status[i];
    return status;
}

/* >> likelihoods */

static __device__ double bml_cuda__ln_phi(double z) {
    if (z > -20) return log(0.5 * erfc(-z / sqrt(2.0)));
    return -0.5 * z * z - log(-z * sqrt(2 * BML_SSC__PI)) + log1p(-1 / (z * z) + 3 / (z * z * z * z));
}

/* ln L of one point; NaN for what bml_ssc_log_likelihood refuses. F, log_F: the model and its log10. */
static __device__ double bml_cuda__point_likelihood(const bml_cuda_point &p, double F, double log_F, double extra) {
    double r, sigma, var;
    if (!(F >= 0 && F < HUGE_VAL) || !(p.nuFnu > 0 && p.nuFnu < HUGE_VAL && p.sigma_hi >= 0 && p.sigma_hi < HUGE_VAL))
        return BML_CUDA__NAN;
    if (p.upper_limit)
        return bml_cuda__ln_phi((p.nuFnu - F) / (p.sigma_hi == 0 ? p.nuFnu / 1.6448536269514722 : p.sigma_hi));
    r = log_F - log10(p.nuFnu), sigma = r > 0 ? p.sigma_hi : p.sigma_lo, var = sigma * sigma + extra;
    if (!(p.sigma_lo >= 0 && p.sigma_lo < HUGE_VAL) || !(var > 0 && var < HUGE_VAL)) return BML_CUDA__NAN;
    return F > 0 ? -0.5 * (r * r / var + log(2 * BML_SSC__PI * var)) : -HUGE_VAL;
}

static __global__ void __launch_bounds__(BML_CUDA__THREADS) bml_cuda__likelihood_kernel(const bml_cuda_likelihoods l) {
    for (int row = (int)(blockIdx.x * blockDim.x + threadIdx.x); row < l.n; row += (int)(gridDim.x * blockDim.x)) {
        double sum = 0, extra = l.ln_f ? exp(2 * l.ln_f[row]) : 0;
        for (int i = 0; i < l.n_points; i++) {
            size_t at = (size_t)row * (size_t)l.n_points + (size_t)i;
            double log_F = l.model ? log10(l.model[at]) : (double)l.log10_model[at];
            double F = l.model ? l.model[at] : exp(BML_SSC__LN10 * log_F);
            sum += bml_cuda__point_likelihood(l.points[i], F, log_F, extra);
        }
        l.ln_l[row] = sum;
    }
}

int bml_cuda_log_likelihood(const bml_cuda_likelihoods *l, bml_cuda_stream stream, bml_cuda *cuda) {
    int status = bml_cuda__enter(cuda);
    if (status) return status;
    if (!l || l->n < 0 || l->n_points < 1) return BML_CUDA_BAD_ARGUMENT;
    if (l->n == 0) return BML_CUDA_OK;
    if (!l->ln_l || (!l->model && !l->log10_model) || !l->points) return BML_CUDA_BAD_ARGUMENT;
    BML_CUDA__LAUNCH(bml_cuda__likelihood_kernel, (unsigned)(l->n - 1) / BML_CUDA__THREADS + 1, BML_CUDA__THREADS, 0,
                     stream, *l);
    return bml_cuda__check(cuda, cudaGetLastError(), "likelihood kernel");
}

int bml_cuda_log_likelihood_host(const bml_cuda_likelihoods *l, bml_cuda *cuda) {
    bml_cuda__buffers b = {cuda, {}, 0, BML_CUDA_OK};
    bml_cuda_likelihoods d;
    size_t n, cells;
    if (!l || l->n < 0 || l->n_points < 1 || (l->n && (!l->ln_l || (!l->model && !l->log10_model) || !l->points)))
        return BML_CUDA_BAD_ARGUMENT;
    if (!l->n) return BML_CUDA_OK;
    d = *l, n = (size_t)d.n, cells = n * (size_t)d.n_points;
    if (d.model) d.model = (const double *)bml_cuda__buffer(&b, d.model, cells, sizeof *d.model);
    else d.log10_model = (const float *)bml_cuda__buffer(&b, d.log10_model, cells, sizeof *d.log10_model);
    d.points = (const bml_cuda_point *)bml_cuda__buffer(&b, d.points, (size_t)d.n_points, sizeof *d.points);
    if (d.ln_f) d.ln_f = (const double *)bml_cuda__buffer(&b, d.ln_f, n, sizeof *d.ln_f);
    d.ln_l = (double *)bml_cuda__buffer(&b, NULL, n, sizeof *d.ln_l);
    if (!b.status) b.status = bml_cuda_log_likelihood(&d, NULL, cuda);
    bml_cuda__fetch(&b, l->ln_l, d.ln_l, n * sizeof *d.ln_l);
    return bml_cuda__done(&b);
}

/* >> networks: the plan
   Rows go through all layers block by block: `rows` of them (16 or 64) at a time. Every layer's output lies in the
   block's own workspace, [steps][rows][features] floats; room is given out again after the last layer that reads it.
   A product's left side is brought into shared memory as 16-bit numbers (F32: floats), its right side, the weights,
   lies in the order in which a warp's lanes want it: fragment after fragment, 32 pairs of registers each. */

enum { BML_CUDA__MAX_OPS = 256 };

typedef struct bml_cuda__op {
    int kind, in_steps, in, steps, out, units, gates, activation, sequence, directions, n_from;
    float slope;
    int k_in, k_state;                /* depth of the products by the input and by the state, multiples of 16 */
    size_t from[BML_NN_MAX_FROM], to; /* floats into the workspace */
    size_t state;                     /* likewise: [2][rows][units], and LSTM's c [rows][units] */
    int from_width[BML_NN_MAX_FROM];
    size_t weights[2], bias[2]; /* of each direction: 32-bit words, floats into the net's memory */
    size_t input_offset;        /* INPUT: where in the row */
} bml_cuda__op;

struct bml_cuda_net {
    bml_cuda *cuda;
    int n_ops, precision, rows, width; /* width: of the shared tile, numbers a row */
    unsigned blocks;
    size_t n_in, n_out, shared, workspace_floats; /* bytes of the tile, floats of a block */
    size_t in_scaler;                             /* where the scalers are in floats */
    void *ops, *words, *floats, *workspace;       /* device */
};

typedef struct bml_cuda__plan { /* on the host, while a net is made */
    const bml_nn *net;
    bml_cuda__op ops[BML_CUDA__MAX_OPS];
    int precision, rows, width;
    size_t scaler;
    uint32_t *words;
    float *floats;
    size_t n_words, n_floats, room; /* counted first (words and floats NULL), filled then */
    size_t busy_from[BML_CUDA__MAX_OPS], busy_size[BML_CUDA__MAX_OPS];
    int last_use[BML_CUDA__MAX_OPS];
} bml_cuda__plan;

static int bml_cuda__up(int n, int to) {
    return (n + to - 1) / to * to;
}

/* Adds n floats of `from` (NULL: zeros). */
static size_t bml_cuda__add_floats(bml_cuda__plan *p, const float *from, size_t n) {
    size_t at = p->n_floats;
    for (size_t i = 0; p->floats && i < n; i++) p->floats[at + i] = from ? from[i] : 0;
    p->n_floats += n;
    return at;
}

/* Adds a matrix [depth][gates units] as fragments [units/8][gates][depth/16][32][2], or (F32) as
   [depth][gates][units], with depth and units filled up with zeros. */
static void bml_cuda__add_matrix(bml_cuda__plan *p, const float *w, int depth, int gates, int units) {
    int deep = bml_cuda__up(depth, 16), wide = bml_cuda__up(units, 8), f32 = p->precision == BML_CUDA_F32;
    size_t count = (size_t)deep * (size_t)wide * (size_t)gates / (f32 ? 1 : 2);
    uint32_t *to = p->words + p->n_words;
    p->n_words += count;
    for (size_t at = 0; p->words && at < count; at++) {
        int reg = (int)(at % 2), lane = (int)(at / 2 % 32), k, unit, gate;
        size_t rest = at / 64;
        float pair[2] = {0, 0};
        if (f32) {
            unit = (int)(at % (size_t)wide), gate = (int)(at / (size_t)wide % (size_t)gates);
            k = (int)(at / (size_t)wide / (size_t)gates);
        } else {
            k = (int)(rest % (size_t)(deep / 16)) * 16 + 8 * reg + 2 * (lane % 4);
            gate = (int)(rest / (size_t)(deep / 16) % (size_t)gates);
            unit = (int)(rest / (size_t)(deep / 16) / (size_t)gates) * 8 + lane / 4;
        }
        for (int i = 0; i < 2; i++)
            if (k + i < depth && unit < units)
                pair[i] = w[(size_t)(k + i) * (size_t)(gates * units) + (size_t)(gate * units + unit)];
        if (f32) memcpy(to + at, pair, 4);
        else to[at] = bml_cuda__pack(pair[0], pair[1], p->precision == BML_CUDA_BF16);
    }
}

/* Room for a layer's output (or state) between the outputs that are still wanted: the lowest gap that is large
   enough. */
static size_t bml_cuda__place(bml_cuda__plan *p, int i, size_t size) {
    size_t at = 0;
    for (int moved = 1; moved;) {
        moved = 0;
        for (int k = 0; k < i; k++)
            if (p->last_use[k] >= i && p->busy_from[k] < at + size && at < p->busy_from[k] + p->busy_size[k])
                at = p->busy_from[k] + p->busy_size[k], moved = 1;
    }
    p->busy_from[i] = at, p->busy_size[i] = size;
    if (at + size > p->room) p->room = at + size;
    return at;
}

static int bml_cuda__refuse_layer(bml_cuda *cuda, const bml_nn *net, int i, const char *why) {
    return bml_cuda__fail(cuda, BML_CUDA_BAD_MODEL, "layer %d (%s): %s", i, net->nodes[i].name, why);
}

/* Weights and biases of a recurrent layer: products by the input, then by the state; GRU has biases [2][3 units]. */
static void bml_cuda__add_recurrent(bml_cuda__plan *p, int i) {
    bml_cuda__op *op = &p->ops[i];
    for (int d = 0; d < op->directions; d++) {
        op->weights[d] = p->n_words;
        bml_cuda__add_matrix(p, bml_nn__param(p->net, i, 3 * d), op->in, op->gates, op->units);
        bml_cuda__add_matrix(p, bml_nn__param(p->net, i, 3 * d + 1), op->units, op->gates, op->units);
        op->bias[d] = bml_cuda__add_floats(p, bml_nn__param(p->net, i, 3 * d + 2),
                                           (size_t)(op->units * op->gates * (op->kind == BML_NN_GRU ? 2 : 1)));
    }
}

/* Scale and shift of a normalisation: batch norm's running means are known, layer norm has gamma and beta. */
static void bml_cuda__add_norm(bml_cuda__plan *p, int i) {
    const float *gamma = bml_nn__param(p->net, i, 0), *beta = bml_nn__param(p->net, i, 1);
    size_t n = (size_t)p->ops[i].out, at;
    p->ops[i].bias[0] = at = bml_cuda__add_floats(p, gamma, n);
    bml_cuda__add_floats(p, beta, n);
    if (p->ops[i].kind == BML_NN_LAYER_NORM || !p->floats) return;
    for (size_t k = 0; k < n; k++) {
        const bml_nn__tensor *t = p->net->tensors + p->net->nodes[i].tensor;
        double mean = (double)p->net->running[t[2].offset + k], variance = (double)p->net->running[t[3].offset + k];
        double scale = (double)gamma[k] / sqrt(variance + bml_nn__epsilon);
        p->floats[at + k] = (float)scale;
        p->floats[at + n + k] = (float)((double)beta[k] - mean * scale);
    }
}

static int bml_cuda__has_code(int kind) {
    static const int kinds[] = {BML_NN_INPUT,      BML_NN_DENSE,      BML_NN_GRU,     BML_NN_LSTM,
                                BML_NN_DROPOUT,    BML_NN_FLATTEN,    BML_NN_RESHAPE, BML_NN_CONCAT,
                                BML_NN_BATCH_NORM, BML_NN_LAYER_NORM, BML_NN_BAYES,   BML_NN_ADD};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (kinds[k] == kind) return 1;
    return 0;
}

/* Layer i as an operation; memory for its output. */
static int bml_cuda__plan_layer(bml_cuda__plan *p, int i, bml_cuda *cuda) {
    const bml_nn__node *n = &p->net->nodes[i];
    bml_cuda__op *op = &p->ops[i];
    size_t rows = (size_t)p->rows, states = 0;
    int kind = n->spec.kind;
    op->kind = kind == BML_NN_BAYES ? BML_NN_DENSE : kind, op->in_steps = n->in_steps, op->in = n->in,
    op->steps = n->steps;
    op->out = n->out, op->units = n->spec.units, op->activation = n->spec.activation, op->sequence = n->spec.sequence;
    op->slope = (float)n->spec.slope, op->n_from = n->n_from, op->input_offset = n->input_offset, op->directions = 1;
    op->gates = kind == BML_NN_GRU ? 3 : kind == BML_NN_LSTM ? 4 : 1;
    if ((double)(n->steps > n->in_steps ? n->steps : n->in_steps) * p->rows * (n->out > n->in ? n->out : n->in) > 2e9)
        return BML_CUDA_TOO_LARGE; /* cells are counted by int */
    if (!bml_cuda__has_code(kind)) return bml_cuda__refuse_layer(cuda, p->net, i, "this kind runs on the CPU only");
    if (kind == BML_NN_GRU && n->spec.reset_before)
        return bml_cuda__refuse_layer(cuda, p->net, i, "reset before the product runs on the CPU only");
    op->k_in = bml_cuda__up(op->in, 16);
    if (kind == BML_NN_GRU || kind == BML_NN_LSTM) {
        op->directions = n->spec.bidirectional ? 2 : 1;
        op->k_state = bml_cuda__up(op->units, 16);
        states = rows * (size_t)op->units * (kind == BML_NN_LSTM ? 3 : 2);
        bml_cuda__add_recurrent(p, i);
    } else if (op->kind == BML_NN_DENSE) {
        op->weights[0] = p->n_words;
        bml_cuda__add_matrix(p, bml_nn__param(p->net, i, 0), op->in, 1, op->units);
        op->bias[0] = bml_cuda__add_floats(p, bml_nn__param(p->net, i, 1), (size_t)op->units);
    } else if (kind == BML_NN_BATCH_NORM || kind == BML_NN_LAYER_NORM) bml_cuda__add_norm(p, i);
    if (op->gates > 1 || op->kind == BML_NN_DENSE) p->width = BML_SSC__MAX(p->width, op->k_in + op->k_state);
    for (int k = 0; k < n->n_from; k++) {
        op->from[k] = p->ops[n->from[k]].to;
        op->from_width[k] = p->net->nodes[n->from[k]].out;
    }
    op->to = bml_cuda__place(p, i, rows * (size_t)op->steps * (size_t)op->out + states);
    op->state = op->to + rows * (size_t)op->steps * (size_t)op->out;
    return BML_CUDA_OK;
}

static int bml_cuda__plan_net(bml_cuda__plan *p, bml_cuda *cuda) {
    int status = BML_CUDA_OK;
    p->n_words = p->n_floats = p->room = 0, p->width = 0;
    for (int i = 0; i < p->net->n_nodes; i++) {
        p->last_use[i] = i;
        for (int k = 0; k < p->net->nodes[i].n_from; k++) p->last_use[p->net->nodes[i].from[k]] = i;
    }
    for (int i = 0; i < p->net->n_nodes && !status; i++) status = bml_cuda__plan_layer(p, i, cuda);
    p->scaler = p->n_floats;
    for (int which = 0; which < 2; which++) { /* last of all: shift and scale of inputs, and of outputs */
        size_t n = which ? p->net->n_out : p->net->n_in;
        bml_cuda__add_floats(p, p->net->shift[which], n);
        for (size_t k = 0; k < n; k++) {
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
    float *y, *workspace;
    size_t n, room, n_in, n_out, in_scaler, out_scaler; /* scalers: shift, then scale, in floats */
    int n_ops, width;
} bml_cuda__run;

/* Numbers of 32 bits in a row of the tile: 4 more than a multiple of 8, so that a fragment's rows fall on different
   banks. */
template <int PRECISION> static __host__ __device__ int bml_cuda__stride(int width) {
    return (PRECISION == BML_CUDA_F32 ? width : width / 2) + 4;
}

/* Columns from ... from+deep-1 of the tile = source[rows][width] (NULL: zeros), filled up with zeros; a warp a row. */
template <int PRECISION>
static __device__ void bml_cuda__fill(uint32_t *tile, int stride, int from, int deep, const float *source, int width,
                                      int rows) {
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    for (int row = warp; row < rows; row += BML_CUDA__WARPS) {
        const float *s = source ? source + (size_t)row * (size_t)width : NULL;
        if (PRECISION == BML_CUDA_F32) {
            for (int k = lane; k < deep; k += 32) {
                float v = s && k < width ? s[k] : 0;
                memcpy(tile + row * stride + from + k, &v, 4);
            }
        } else {
            for (int k = 2 * lane; k < deep; k += 64) {
                float low = s && k < width ? s[k] : 0, high = s && k + 1 < width ? s[k + 1] : 0;
                tile[row * stride + (from + k) / 2] = bml_cuda__pack(low, high, PRECISION == BML_CUDA_BF16);
            }
        }
    }
}

/* acc[slot][MT][4] += tile[rows][from ... from+deep) times the weights of 8 units, for all gates; the warp together.
   The part of a GRU's third gate that comes from the state has a slot of its own. */
template <int PRECISION, int MT, int GATES, int STATE>
static __device__ __forceinline__ void bml_cuda__product(float (*acc)[MT][4], const uint32_t *tile, int stride,
                                                         int from, int deep, const uint32_t *w, int units8,
                                                         int n_units8) {
    int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
    if (PRECISION == BML_CUDA_F32) {
        for (int k = 0; k < deep; k++) {
            BML_CUDA__UNROLL
            for (int gate = 0; gate < GATES; gate++) {
                const int slot = STATE && GATES == 3 && gate == 2 ? 3 : gate;
                float b[2], a[2];
                memcpy(b, w + ((size_t)(k * GATES + gate) * (size_t)n_units8 + (size_t)units8) * 8 + 2 * (size_t)t, 8);
                BML_CUDA__UNROLL
                for (int m = 0; m < MT; m++) {
                    memcpy(a, tile + (16 * m + g) * stride + from + k, 4);
                    memcpy(a + 1, tile + (16 * m + g + 8) * stride + from + k, 4);
                    acc[slot][m][0] += a[0] * b[0], acc[slot][m][1] += a[0] * b[1];
                    acc[slot][m][2] += a[1] * b[0], acc[slot][m][3] += a[1] * b[1];
                }
            }
        }
        return;
    }
    w += ((size_t)units8 * GATES * (size_t)(deep / 16) * 32 + (size_t)lane) * 2;
    for (int k = 0; k < deep / 16; k++) {
        uint32_t a[MT][4], b[2];
        BML_CUDA__UNROLL
        for (int m = 0; m < MT; m++) {
            const uint32_t *at = tile + (16 * m + g) * stride + from / 2 + 8 * k + t;
            a[m][0] = at[0], a[m][1] = at[8 * stride], a[m][2] = at[4], a[m][3] = at[8 * stride + 4];
        }
        BML_CUDA__UNROLL
        for (int gate = 0; gate < GATES; gate++) {
            const int slot = STATE && GATES == 3 && gate == 2 ? 3 : gate;
            const uint32_t *from_w = w + (size_t)(gate * (deep / 16) + k) * 64;
            b[0] = from_w[0], b[1] = from_w[1];
            BML_CUDA__UNROLL
            for (int m = 0; m < MT; m++) bml_cuda__mma(acc[slot][m], a[m], b, PRECISION == BML_CUDA_BF16);
        }
    }
}

static __device__ float bml_cuda__logistic(float x) {
    return 1 / (1 + expf(-x));
}

static __device__ float bml_cuda__act(float x, int activation, float slope) {
    switch (activation) {
    case BML_NN_RELU: return x < 0 ? 0 : x;
    case BML_NN_LEAKY_RELU: return x > 0 ? x : slope * x;
    case BML_NN_TANH: return tanhf(x);
    case BML_NN_SIGMOID: return bml_cuda__logistic(x);
    case BML_NN_SOFTPLUS: return (x > 0 ? x : 0) + log1pf(expf(-fabsf(x)));
    case BML_NN_SILU: return x * bml_cuda__logistic(x);
    case BML_NN_GELU: return x / 2 * (1 + erff(x * 0.707106781f));
    case BML_NN_HARDTANH: return x > 1 ? 1 : x < -1 ? -1 : x;
    default: return x; /* linear; softmax is done row by row afterwards */
    }
}

static __device__ void bml_cuda__softmax(float *out, int width, int rows) {
    BML_CUDA__EACH(row, rows) {
        float *z = out + (size_t)row * (size_t)width, top = z[0], sum = 0;
        for (int k = 1; k < width; k++) top = z[k] > top ? z[k] : top;
        for (int k = 0; k < width; k++) z[k] = expf(z[k] - top), sum += z[k];
        for (int k = 0; k < width; k++) z[k] /= sum;
    }
}

template <int PRECISION, int MT>
static __device__ void bml_cuda__dense(const bml_cuda__op &op, const bml_cuda__run &r, float *room, uint32_t *tile) {
    const int stride = bml_cuda__stride<PRECISION>(r.width), rows = 16 * MT, warp = (int)threadIdx.x / 32;
    const int lane = (int)threadIdx.x % 32, n8 = (op.units + 7) / 8;
    const float *bias = r.floats + op.bias[0];
    for (int step = 0; step < op.steps; step++) {
        float *out = room + op.to + (size_t)(step * rows) * (size_t)op.out;
        bml_cuda__fill<PRECISION>(tile, stride, 0, op.k_in, room + op.from[0] + (size_t)(step * rows) * (size_t)op.in,
                                  op.in, rows);
        __syncthreads();
        for (int u8 = warp; u8 < n8; u8 += BML_CUDA__WARPS) {
            float acc[1][MT][4] = {};
            bml_cuda__product<PRECISION, MT, 1, 0>(acc, tile, stride, 0, op.k_in, r.words + op.weights[0], u8, n8);
            BML_CUDA__UNROLL
            for (int i = 0; i < 4 * MT; i++) {
                int row = i / 4 * 16 + lane / 4 + i % 4 / 2 * 8, unit = 8 * u8 + lane % 4 * 2 + i % 2;
                if (unit < op.units)
                    out[(size_t)row * (size_t)op.out + (size_t)unit] =
                        bml_cuda__act(acc[0][i / 4][i % 4] + bias[unit], op.activation, op.slope);
            }
        }
        __syncthreads();
        if (op.activation == BML_NN_SOFTMAX) bml_cuda__softmax(out, op.out, rows);
        __syncthreads();
    }
}

/* The new state of one unit of one row, from the sums of its gates; *c: LSTM's cell. */
template <int GATES>
static __device__ __forceinline__ float bml_cuda__cell(const float *z, float before, float *c, const float *bias,
                                                       int unit, int units) {
    if (GATES == 3) {
        const float *more = bias + 3 * units;
        float update = bml_cuda__logistic(z[0] + bias[unit] + more[unit]);
        float reset = bml_cuda__logistic(z[1] + bias[units + unit] + more[units + unit]);
        float fresh = tanhf(z[2] + bias[2 * units + unit] + reset * (z[3] + more[2 * units + unit]));
        return fresh + update * (before - fresh);
    } else {
        float in = bml_cuda__logistic(z[0] + bias[unit]), forget = bml_cuda__logistic(z[1] + bias[units + unit]);
        float fresh = tanhf(z[2] + bias[2 * units + unit]), out = bml_cuda__logistic(z[3] + bias[3 * units + unit]);
        *c = forget * *c + in * fresh;
        return out * tanhf(*c);
    }
}

/* A recurrent layer in one direction: step by step [x_t, h] is brought into the tile, and each warp makes whole
   units. */
template <int PRECISION, int MT, int GATES>
static __device__ void bml_cuda__recurrent(const bml_cuda__op &op, const bml_cuda__run &r, float *room, uint32_t *tile,
                                           int d) {
    const int stride = bml_cuda__stride<PRECISION>(r.width), rows = 16 * MT, warp = (int)threadIdx.x / 32;
    const int lane = (int)threadIdx.x % 32, n8 = (op.units + 7) / 8, units = op.units;
    const size_t cells = (size_t)rows * (size_t)units, words = PRECISION == BML_CUDA_F32 ? 8 : 4;
    const uint32_t *w_in = r.words + op.weights[d], *w_state = w_in + (size_t)op.k_in * (size_t)(n8 * GATES) * words;
    const float *bias = r.floats + op.bias[d];
    float *state = room + op.state, *cell = state + 2 * cells;
    if (GATES == 4) {
        BML_CUDA__EACH(i, rows * units) {
            cell[i] = 0;
        }
    }
    for (int s = 0; s < op.in_steps; s++) {
        int t = d ? op.in_steps - 1 - s : s, keep = op.sequence || s == op.in_steps - 1;
        const float *before = state + (size_t)(s & 1) * cells,
                    *x = room + op.from[0] + (size_t)(t * rows) * (size_t)op.in;
        float *after = state + (size_t)(~s & 1) * cells;
        float *out = room + op.to + (op.sequence ? (size_t)(t * rows) * (size_t)op.out : 0) + (size_t)(d * units);
        bml_cuda__fill<PRECISION>(tile, stride, 0, op.k_in, x, op.in, rows);
        bml_cuda__fill<PRECISION>(tile, stride, op.k_in, op.k_state, s ? before : NULL, units, rows);
        __syncthreads();
        for (int u8 = warp; u8 < n8; u8 += BML_CUDA__WARPS) {
            float acc[4][MT][4] = {};
            bml_cuda__product<PRECISION, MT, GATES, 0>(acc, tile, stride, 0, op.k_in, w_in, u8, n8);
            if (s) bml_cuda__product<PRECISION, MT, GATES, 1>(acc, tile, stride, op.k_in, op.k_state, w_state, u8, n8);
            BML_CUDA__UNROLL
            for (int i = 0; i < 4 * MT; i++) {
                int row = i / 4 * 16 + lane / 4 + i % 4 / 2 * 8, unit = 8 * u8 + lane % 4 * 2 + i % 2;
                size_t at = (size_t)row * (size_t)units + (size_t)unit;
                float z[4] = {acc[0][i / 4][i % 4], acc[1][i / 4][i % 4], acc[2][i / 4][i % 4], acc[3][i / 4][i % 4]};
                if (unit >= units) continue;
                after[at] = bml_cuda__cell<GATES>(z, s ? before[at] : 0, cell + at, bias, unit, units);
                if (keep) out[(size_t)row * (size_t)op.out + (size_t)unit] = after[at];
            }
        }
        __syncthreads();
    }
}

/* Each row of each step by itself. */
static __device__ void bml_cuda__layer_norm(float *y, const float *x, const float *scale, const float *shift, int rows,
                                            int width) {
    BML_CUDA__EACH(row, rows) {
        const float *from = x + (size_t)row * (size_t)width;
        float *to = y + (size_t)row * (size_t)width, mean = 0, variance = 0, inverse;
        for (int k = 0; k < width; k++) mean += from[k];
        mean /= (float)width;
        for (int k = 0; k < width; k++) variance += (from[k] - mean) * (from[k] - mean);
        inverse = 1 / sqrtf(variance / (float)width + 1e-5f);
        for (int k = 0; k < width; k++) to[k] = (from[k] - mean) * inverse * scale[k] + shift[k];
    }
}

/* Flatten and reshape: a row's numbers stay in order, from [in_steps][rows][in] to [steps][rows][out]. */
static __device__ void bml_cuda__reshape(float *y, const float *x, const bml_cuda__op &op, int rows) {
    int all = op.in_steps * op.in;
    BML_CUDA__EACH(at, rows * all) {
        int row = at / all, j = at % all;
        y[(j / op.out * rows + row) * op.out + j % op.out] = x[(j / op.in * rows + row) * op.in + j % op.in];
    }
}

/* Layers without weights, or with one a feature. */
static __device__ void bml_cuda__plain(const bml_cuda__op &op, const bml_cuda__run &r, float *room, int rows) {
    const float *x = room + op.from[0], *scale = r.floats + op.bias[0], *shift = scale + op.out;
    float *y = room + op.to;
    int column = 0, all = op.steps * rows;
    switch (op.kind) {
    case BML_NN_CONCAT:
        for (int f = 0; f < op.n_from; column += op.from_width[f++]) {
            int w = op.from_width[f];
            BML_CUDA__EACH(at, all * w) {
                y[at / w * op.out + column + at % w] = room[op.from[f] + (size_t)at];
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
            for (int f = 1; f < op.n_from; f++) sum += room[op.from[f] + (size_t)at];
            y[at] = sum;
        }
        break;
    }
    default: { /* dropout */ BML_CUDA__EACH(at, all * op.out) { y[at] = x[at];
        }
    }
    }
    __syncthreads();
}

/* Between rows of the caller, `first` on, and [steps][rows][features]; rows beyond n are zeros, and stay inside. */
static __device__ void bml_cuda__read_rows(const bml_cuda__op &op, const bml_cuda__run &r, float *room, int rows,
                                           size_t first) {
    const float *shift = r.floats + r.in_scaler, *scale = shift + r.n_in;
    BML_CUDA__EACH(at, op.steps * rows * op.out) {
        size_t row = first + (size_t)(at / op.out % rows), column = op.input_offset;
        column += (size_t)(at / op.out / rows * op.out + at % op.out);
        room[op.to + (size_t)at] = row < r.n ? (r.x[row * r.n_in + column] - shift[column]) / scale[column] : 0;
    }
    __syncthreads();
}
static __device__ void bml_cuda__write_rows(const bml_cuda__op &op, const bml_cuda__run &r, const float *room, int rows,
                                            size_t first) {
    const float *shift = r.floats + r.out_scaler, *scale = shift + r.n_out;
    BML_CUDA__EACH(at, op.steps * rows * op.out) {
        size_t row = first + (size_t)(at / op.out % rows), column = (size_t)(at / op.out / rows * op.out + at % op.out);
        if (row < r.n) r.y[row * r.n_out + column] = room[op.to + (size_t)at] * scale[column] + shift[column];
    }
    __syncthreads();
}

template <int PRECISION, int MT>
__global__ void __launch_bounds__(BML_CUDA__THREADS, MT == 1 ? 2 : 1) bml_cuda__net_kernel(const bml_cuda__run r) {
    BML_CUDA__DYNAMIC(uint32_t, tile);
    float *room = r.workspace + (size_t)blockIdx.x * r.room;
    const int rows = 16 * MT;
    for (size_t first = (size_t)blockIdx.x * (size_t)rows; first < r.n; first += (size_t)gridDim.x * (size_t)rows) {
        for (int i = 0; i < r.n_ops; i++) {
            const bml_cuda__op &op = r.ops[i];
            if (op.kind == BML_NN_INPUT) bml_cuda__read_rows(op, r, room, rows, first);
            else if (op.kind == BML_NN_DENSE) bml_cuda__dense<PRECISION, MT>(op, r, room, tile);
            else if (op.kind == BML_NN_GRU || op.kind == BML_NN_LSTM)
                for (int d = 0; d < op.directions; d++) {
                    if (op.kind == BML_NN_GRU) bml_cuda__recurrent<PRECISION, MT, 3>(op, r, room, tile, d);
                    else bml_cuda__recurrent<PRECISION, MT, 4>(op, r, room, tile, d);
                }
            else bml_cuda__plain(op, r, room, rows);
        }
        bml_cuda__write_rows(r.ops[r.n_ops - 1], r, room, rows, first);
    }
}

/* >> networks: the host's side */

/* The kernels: precision, rows/16. */
#define BML_CUDA__NET_KERNELS(X) \
    X(BML_CUDA_F16, 1) X(BML_CUDA_F16, 4) X(BML_CUDA_BF16, 1) X(BML_CUDA_BF16, 4) X(BML_CUDA_F32, 1) X(BML_CUDA_F32, 4)

static int bml_cuda__net_blocks(bml_cuda_net *s) {
    int status = BML_CUDA_BAD_ARGUMENT;
#define BML_CUDA__CASE(p, mt)                                                                                       \
    if (s->precision == p && s->rows == 16 * mt) {                                                                  \
        status = bml_cuda__check(s->cuda,                                                                           \
                                 cudaFuncSetAttribute(bml_cuda__net_kernel<p, mt>,                                  \
                                                      cudaFuncAttributeMaxDynamicSharedMemorySize, (int)s->shared), \
                                 "shared memory");                                                                  \
        s->blocks = bml_cuda__grid(s->cuda, bml_cuda__net_kernel<p, mt>, s->shared, 1u << 16);                      \
    }
    BML_CUDA__NET_KERNELS(BML_CUDA__CASE)
#undef BML_CUDA__CASE
    return status;
}

static int bml_cuda__net_upload(bml_cuda_net *s, bml_cuda__plan *p) {
    bml_cuda *cuda = s->cuda;
    int status = bml_cuda__net_blocks(s);
    s->workspace_floats = p->room, s->in_scaler = p->scaler;
    if (!status) status = bml_cuda__upload(&s->ops, p->ops, (size_t)s->n_ops * sizeof *p->ops, cuda);
    if (!status) status = bml_cuda__upload(&s->words, p->words, p->n_words * sizeof *p->words, cuda);
    if (!status) status = bml_cuda__upload(&s->floats, p->floats, p->n_floats * sizeof *p->floats, cuda);
    if (!status && p->room > (size_t)-1 / 4 / s->blocks) status = BML_CUDA_TOO_LARGE;
    if (!status) status = bml_cuda_alloc(&s->workspace, s->blocks * p->room * sizeof(float), cuda);
    return status;
}

/* Plans for s->rows rows: how much there is of everything, then everything. */
static int bml_cuda__net_build(bml_cuda_net *s, const bml_nn *net) {
    bml_cuda__plan *p = (bml_cuda__plan *)calloc(1, sizeof *p);
    int status;
    if (!p) return BML_CUDA_NO_MEMORY;
    p->net = net, p->precision = s->precision, p->rows = s->rows;
    status = bml_cuda__plan_net(p, s->cuda);
    if (!status) {
        p->words = (uint32_t *)calloc(p->n_words + 1, sizeof *p->words);
        p->floats = (float *)calloc(p->n_floats + 1, sizeof *p->floats);
        if (!p->words || !p->floats) status = BML_CUDA_NO_MEMORY;
        else status = bml_cuda__plan_net(p, s->cuda);
        s->width = p->width;
        s->shared = sizeof(uint32_t) * (size_t)p->rows *
                    (size_t)(s->precision == BML_CUDA_F32 ? bml_cuda__stride<BML_CUDA_F32>(p->width)
                                                          : bml_cuda__stride<BML_CUDA_F16>(p->width));
        if (!status && s->shared > s->cuda->shared) status = BML_CUDA_TOO_LARGE;
        if (!status) status = bml_cuda__net_upload(s, p);
        free(p->words);
        free(p->floats);
    }
    free(p);
    return status;
}

static int bml_cuda__net_create(bml_cuda_net **out, const bml_nn *net, const bml_cuda_net_config *config,
                                bml_cuda *cuda) {
    int rows = config ? config->rows : 0, status;
    bml_cuda_net *s;
    if (net->n_nodes > BML_CUDA__MAX_OPS)
        return bml_cuda__fail(cuda, BML_CUDA_TOO_LARGE, "more than %d layers", BML_CUDA__MAX_OPS);
    s = (bml_cuda_net *)calloc(1, sizeof *s);
    if (!s) return BML_CUDA_NO_MEMORY;
    s->cuda = cuda, s->precision = config ? config->precision : BML_CUDA_F16, s->n_ops = net->n_nodes;
    s->n_in = net->n_in, s->n_out = net->n_out, s->rows = rows ? rows : 64;
    status = bml_cuda__net_build(s, net);
    if (status == BML_CUDA_TOO_LARGE && !rows) s->rows = 16, status = bml_cuda__net_build(s, net);
    if (status) bml_cuda_net_free(s);
    else *out = s;
    return status;
}

/* path, or bytes. */
static int bml_cuda__net_make(bml_cuda_net **out, const char *path, const bml_cuda_bytes *model,
                              const bml_cuda_net_config *config, bml_cuda *cuda) {
    bml_nn *net = NULL;
    int status = bml_cuda__enter(cuda), read;
    if (out) *out = NULL;
    if (status) return status;
    if (!out || (!path && !model) ||
        (config && (config->precision < 0 || config->precision >= BML_CUDA_N_PRECISIONS ||
                    (config->rows != 0 && config->rows != 16 && config->rows != 64))))
        return BML_CUDA_BAD_ARGUMENT;
    if (config && config->precision == BML_CUDA_BF16 && cuda->capability < 80)
        return bml_cuda__fail(cuda, BML_CUDA_BAD_ARGUMENT, "bfloat16 needs compute capability 8.0");
    read = path ? bml_nn_load(&net, path) : bml_nn_decode(&net, model->bytes, model->size);
    if (read) {
        status = bml_cuda__fail(cuda, read == BML_NN_NO_MEMORY ? BML_CUDA_NO_MEMORY : BML_CUDA_BAD_MODEL, "%s: %.180s",
                                bml_nn_strerror(read), bml_nn_message(net));
    } else status = bml_cuda__net_create(out, net, config, cuda);
    bml_nn_free(net);
    return status;
}

int bml_cuda_net_load(bml_cuda_net **net, const char *path, const bml_cuda_net_config *config, bml_cuda *cuda) {
    return bml_cuda__net_make(net, path, NULL, config, cuda);
}
int bml_cuda_net_decode(bml_cuda_net **net, const bml_cuda_bytes *model, const bml_cuda_net_config *config,
                        bml_cuda *cuda) {
    return bml_cuda__net_make(net, NULL, model, config, cuda);
}

void bml_cuda_net_free(bml_cuda_net *s) {
    if (!s) return;
    bml_cuda_release(s->ops, s->cuda);
    bml_cuda_release(s->words, s->cuda);
    bml_cuda_release(s->floats, s->cuda);
    bml_cuda_release(s->workspace, s->cuda);
    free(s);
}

size_t bml_cuda_net_n_in(const bml_cuda_net *s) {
    return s ? s->n_in : 0;
}
size_t bml_cuda_net_n_out(const bml_cuda_net *s) {
    return s ? s->n_out : 0;
}

int bml_cuda_net_predict(float *y, const float *x, size_t n, bml_cuda_stream stream, bml_cuda_net *s) {
    bml_cuda__run r;
    unsigned grid;
    size_t groups;
    int status = s ? bml_cuda__enter(s->cuda) : BML_CUDA_BAD_ARGUMENT;
    if (status || !n) return status;
    if (!y || !x) return BML_CUDA_BAD_ARGUMENT;
    groups = (n - 1) / (size_t)s->rows + 1;
    grid = groups < s->blocks ? (unsigned)groups : s->blocks;
    r.ops = (const bml_cuda__op *)s->ops, r.words = (const uint32_t *)s->words, r.floats = (const float *)s->floats;
    r.x = x, r.y = y, r.workspace = (float *)s->workspace, r.n = n, r.room = s->workspace_floats;
    r.n_in = s->n_in, r.n_out = s->n_out, r.n_ops = s->n_ops, r.width = s->width;
    r.in_scaler = s->in_scaler, r.out_scaler = s->in_scaler + 2 * s->n_in;
#define BML_CUDA__CASE(p, mt)                    \
    if (s->precision == p && s->rows == 16 * mt) \
        BML_CUDA__LAUNCH((bml_cuda__net_kernel<p, mt>), grid, BML_CUDA__THREADS, s->shared, stream, r);
    BML_CUDA__NET_KERNELS(BML_CUDA__CASE)
#undef BML_CUDA__CASE
    return bml_cuda__check(s->cuda, cudaGetLastError(), "network kernel");
}

int bml_cuda_net_predict_host(float *y, const float *x, size_t n, bml_cuda_net *s) {
    bml_cuda__buffers b = {s ? s->cuda : NULL, {}, 0, BML_CUDA_OK};
    float *dx, *dy;
    if (!s || (n && (!x || !y))) return BML_CUDA_BAD_ARGUMENT;
    if (!n) return BML_CUDA_OK;
    if (n > (size_t)-1 / 16 / s->n_in / s->n_out) return BML_CUDA_TOO_LARGE;
    dx = (float *)bml_cuda__buffer(&b, x, n * s->n_in, sizeof *x);
    dy = (float *)bml_cuda__buffer(&b, NULL, n * s->n_out, sizeof *y);
    if (!b.status) b.status = bml_cuda_net_predict(dy, dx, n, NULL, s);
    bml_cuda__fetch(&b, y, dy, n * s->n_out * sizeof *y);
    return bml_cuda__done(&b);
}

#endif /* nvcc, or BML_CUDA_ON_HOST */

/* Version 0.1.0 (2026): first release.

   Licence: public domain (unlicense.org), or, at your choice, MIT: see the file LICENSE. */
