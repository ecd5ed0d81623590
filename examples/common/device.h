/* device.h: `--device cpu|cuda`, the part that programs share. Include it after common.h and the bml headers in use.

   A program compiled as usual needs nothing of CUDA, and `--device cuda` ends it with one line that says how to get
   one that does. `make cuda` compiles the same programs with -DBML_WITH_CUDA, against libbml_cuda, into build/cuda/; on
   a machine without a card these, too, end with one line.

       int choice = DEVICE_CPU;                          DEVICE_OPTION(&choice) in the table of options
       device card;                                      device_open(&card, choice, "program");
       if (device_ready(&card)) device_train(...)        else bml_nn_train(...)
       device_close(&card);

   Every function but device_open and device_close wants a device that is ready; what goes wrong on it ends the program
   with one line. */
#ifndef DEVICE_H
#define DEVICE_H
#ifdef BML_WITH_CUDA
#include "bml_cuda.cu"
#endif

enum { DEVICE_CPU, DEVICE_CUDA };
#define DEVICE_OPTION(at)                                                    \
    {                                                                        \
        .name = "device", .choice = (at), .value = "cpu|cuda",               \
        .help = "where the work is done; cuda: with build/cuda/ (make cuda)" \
    }

typedef struct device {
    struct bml_cuda *cuda; /* NULL: the CPU */
    const char *program;
} device;

static inline int device_ready(const device *d) {
    return d->cuda != NULL;
}

static inline void device_open(device *d, int choice, const char *program) {
    *d = (device){.program = program};
    if (choice == DEVICE_CPU) return;
#ifdef BML_WITH_CUDA
    const int status = bml_cuda_create(&d->cuda, 0);
    if (status)
        fail("%s: --device cuda: %s (%s)", program, bml_cuda_strerror(status),
             d->cuda ? bml_cuda_message(d->cuda) : "");
#else
    fail("%s: --device cuda: built without the GPU library: make cuda, then build/cuda/%s", program, program);
#endif
}

static inline void device_close(device *d) {
#ifdef BML_WITH_CUDA
    bml_cuda_free(d->cuda);
#endif
    d->cuda = NULL;
}

/* Ends the program with what the device says, unless status is 0. */
static inline void device_check(const device *d, int status) {
#ifdef BML_WITH_CUDA
    if (status) fail("%s: --device cuda: %s (%s)", d->program, bml_cuda_strerror(status), bml_cuda_message(d->cuda));
#else
    if (status) fail("%s: --device cuda: built without the GPU library", d->program);
#endif
}

#ifdef BML_NN_H
/* bml_nn_train on the device: the net ends with the same weights, but for rounding. Ends the program where that
   returns an error. */
static inline void device_train(const device *d, bml_nn *net, const bml_nn_training *how, bml_nn_epoch *last) {
#ifdef BML_WITH_CUDA
    unsigned char *bytes = NULL;
    bml_cuda_training training = {.how = how};
    if (bml_nn_encode(net, &bytes, &training.model.size, BML_NN_F32)) fail("%s: %s", d->program, bml_nn_message(net));
    training.model.bytes = bytes;
    device_check(d, bml_cuda_train_host(bml_nn_params(net), last, &training, d->cuda));
    bml_nn_free_bytes(bytes);
#else
    {
        (void)net;
        (void)how;
        (void)last;
    }
    device_check(d, 1);
#endif
}

/* A copy of a net on the device, in float: its answers are the CPU's but for rounding. */
typedef struct device_net {
    const device *d;
    struct bml_cuda_net *net;
} device_net;

static inline void device_net_open(device_net *on, const device *d, bml_nn *net) {
    *on = (device_net){.d = d};
#ifdef BML_WITH_CUDA
    unsigned char *bytes = NULL;
    bml_cuda_bytes model = {0};
    const bml_cuda_net_config config = {.precision = BML_CUDA_F32};
    if (bml_nn_encode(net, &bytes, &model.size, BML_NN_F32)) fail("%s: %s", d->program, bml_nn_message(net));
    model.bytes = bytes;
    device_check(d, bml_cuda_net_decode(&on->net, &model, &config, d->cuda));
    bml_nn_free_bytes(bytes);
#else
    (void)net;
    device_check(d, 1);
#endif
}

static inline void device_net_close(device_net *on) {
#ifdef BML_WITH_CUDA
    bml_cuda_net_free(on->net);
#endif
    on->net = NULL;
}

/* bml_nn_predict: y[n][n_out] of x[n][n_in]. */
static inline void device_predict(float *y, const float *x, size_t n, const device_net *on) {
#ifdef BML_WITH_CUDA
    device_check(on->d, bml_cuda_net_predict_host(y, x, n, on->net));
#else
    {
        (void)y;
        (void)x;
        (void)n;
    }
    device_check(on->d, 1);
#endif
}
#endif

#ifdef BML_SSC_H
/* A solver on the device, in double: spectra within 1e-8 dex of the CPU's. */
typedef struct device_solver {
    const device *d;
    struct bml_cuda_ssc *ssc;
} device_solver;

static inline void device_solver_open(device_solver *on, const device *d, int grid) {
    *on = (device_solver){.d = d};
#ifdef BML_WITH_CUDA
    const bml_cuda_ssc_config config = {.grid = grid};
    device_check(d, bml_cuda_ssc_create(&on->ssc, &config, d->cuda));
#else
    (void)grid;
    device_check(d, 1);
#endif
}

static inline void device_solver_close(device_solver *on) {
#ifdef BML_WITH_CUDA
    bml_cuda_ssc_free(on->ssc);
#endif
    on->ssc = NULL;
}

typedef struct device_spectra {
    const bml_ssc_source *source; /* [n] with nothing from outside: no fields, tables, drives, expansion */
    const double *delta;          /* [n] Doppler factors */
    const double *nu;             /* [n_nu] observer's frequencies [Hz] */
    double redshift;
    int n, n_nu;
} device_spectra;

#ifdef BML_WITH_CUDA
static inline bml_cuda_source device_source(const bml_ssc_source *s, double delta, double redshift, double distance) {
    return (bml_cuda_source){.R = s->R,
                             .B = s->B,
                             .gamma_min = s->gamma_min,
                             .gamma_max = s->gamma_max,
                             .compactness = s->compactness,
                             .p = s->p,
                             .t_end = s->t_end,
                             .electron_escape = s->electron_escape,
                             .gamma_break = s->gamma_break,
                             .p2 = s->p2,
                             .curvature = s->curvature,
                             .redshift = redshift,
                             .delta = delta,
                             .distance = distance,
                             .injection = (int)s->injection,
                             .self_absorption = (int)s->self_absorption,
                             .pair_production = s->pair_production};
}
#endif

/* bml_ssc_solve and bml_ssc_sed for n sources: nuFnu[n][n_nu] [erg cm^-2 s^-1]; solved[n]: 0 where the solver has no
   such source. */
static inline void device_solve(double *nuFnu, int *solved, const device_spectra *job, const device_solver *on) {
#ifdef BML_WITH_CUDA
    const double distance = bml_ssc_luminosity_distance(job->redshift, 70, 0.3);
    bml_cuda_source *source = malloc((size_t)job->n * sizeof *source + 1);
    bml_cuda_spectra spectra = {.out = nuFnu,
                                .status = solved,
                                .sources = source,
                                .nu = job->nu,
                                .n = job->n,
                                .n_nu = job->n_nu,
                                .component = BML_SSC_TOTAL};
    if (!source) fail("%s: out of memory", on->d->program);
    for (int i = 0; i < job->n; i++)
        source[i] = device_source(&job->source[i], job->delta[i], job->redshift, distance);
    const int status = bml_cuda_ssc_solve_host(&spectra, on->ssc);
    if (status == BML_CUDA_RUNTIME || status == BML_CUDA_NO_MEMORY || status == BML_CUDA_BAD_ARGUMENT)
        device_check(on->d, status);
    for (int i = 0; i < job->n; i++)
        solved[i] = solved[i] == BML_CUDA_OK || solved[i] == BML_CUDA_NOT_CONVERGED;
    free(source);
#else
    {
        (void)nuFnu;
        (void)solved;
        (void)job;
    }
    device_check(on->d, 1);
#endif
}
#endif

#ifdef BML_SAMPLE_H
typedef struct device_photons {
    double gamma, eps0;   /* of the electron, and of the photon before [m_e c^2] */
    const float *weights; /* of the published net, as bml_cuda_compton_config wants them; NULL: not that one */
    int table;            /* 1: from the table; 0: the net of bml_sample.h */
    uint64_t seed;
} device_photons;

/* energy[n] of scattered photons, drawn in float, one stream of numbers for all: another sample than the CPU's. */
static inline void device_compton(const device *d, double *energy, long n, const device_photons *p) {
#ifdef BML_WITH_CUDA
    enum { PIECE = 1 << 22 };
    bml_cuda_compton_config config = {.method = p->weights ? BML_CUDA_PUBLISHED
                                                : p->table ? BML_CUDA_TABLE
                                                           : BML_CUDA_NET,
                                      .weights = p->weights};
    bml_cuda_photons photons = {.same_gamma = (float)p->gamma, .same_eps0 = (float)p->eps0, .seed = p->seed};
    bml_cuda_compton *sampler;
    float *piece = malloc(PIECE * sizeof *piece);
    if (!piece) fail("%s: out of memory", d->program);
    device_check(d, bml_cuda_compton_create(&sampler, &config, d->cuda));
    for (long at = 0; at < n; at += PIECE) {
        photons.n = (uint64_t)(n - at < PIECE ? n - at : PIECE);
        device_check(d, bml_cuda_compton_sample_host(piece, &photons, sampler));
        photons.skip += bml_cuda_compton_blocks(photons.n);
        for (uint64_t i = 0; i < photons.n; i++)
            energy[(uint64_t)at + i] = (double)piece[i];
    }
    bml_cuda_compton_free(sampler);
    free(piece);
#else
    {
        (void)energy;
        (void)n;
        (void)p;
    }
    device_check(d, 1);
#endif
}
#endif
#endif
