/* bml_sample.h - random draws from any distribution, and Compton scattering for Monte Carlo codes, in one file of C.

   Inverse-CDF tables made from a density or from samples, alias tables, networks; and, built in, the photon energies
   that electrons make of soft photons (Jones 1968), from Thomson to deepest Klein-Nishina regime, by a network of 105
   weights.

       #define BML_SAMPLE_IMPLEMENTATION      (in exactly one .c or .cpp file)
       #include "bml_sample.h"

   A complete program, a million photons of 1e-9 m_e c^2 scattered by electrons of gamma = 1e4:

       #include <stdio.h>
       #define BML_SAMPLE_IMPLEMENTATION
       #include "bml_sample.h"
       static float energy[1000000];
       int main(void) {
           float gamma = 1e4f, eps0 = 1e-9f;
           double sum = 0;
           bml_sample_photonsf how = { .n = 1000000, .gamma = &gamma, .eps0 = &eps0, .one_gamma = 1, .one_eps0 = 1 };
           bml_sample_rng rng;
           int status;
           bml_sample_rng_init(&rng, 1, 0);
           status = bml_sample_comptonf(energy, &how, &rng);
           if (status) return printf("%s\n", bml_sample_strerror(status)), 1;
           for (int i = 0; i < 1000000; i++) sum += energy[i];
           printf("mean %.4g m_e c^2, 4/3 gamma^2 eps0 is %.4g\n", sum / 1e6, 4.0 / 3 * 1e8 * 1e-9);
           return 0;
       }

   It refuses, before anything is drawn: densities that are negative, NaN, zero everywhere or not integrable; gamma
   below 1 and photons that cannot gain energy; u outside [0,1]; sizes that overflow. Link with -lm. No input or
   output, no globals, no threads, no clock: the same seed gives the same numbers. Compile with -O3: the batches are
   written for vector registers. */

/* SETUP, USE, SHUTDOWN

   1. bml_sample_rng_init(&rng, seed, stream): one generator for each thread, or better for each block of work:
      different streams never overlap, cost nothing to make, and results then do not depend on the number of threads.
   2. Compton: bml_sample_comptonf (float) or bml_sample_compton (double) for n photons at once; n = 1 is one at a time.
      The methods: BML_SAMPLE_NET (default) and BML_SAMPLE_EXACT need nothing; BML_SAMPLE_TABLE is the fastest and needs
      bml_sample_compton_table once (a few ms, 32 KiB). bml_sample_compton_rates gives the probability of a step and
      the loss.
   3. Your own density: bml_sample_table_create(&table, &config), bml_sample_table_draw(table, x, n, &rng), as often as
      wanted, bml_sample_table_free. With parameters: bml_sample_grid_create and so on. Discrete:
      bml_sample_alias_create.
   4. Your own density by a network, when a grid over its parameters would be too large: train it once (define
      BML_SAMPLE_TRAIN, see bml_sample_net_train), paste the array that bml_sample_net_write gives into your code, and
      there bml_sample_net_create(&net, array, count), bml_sample_net_draw.
   5. bml_sample_check_inverse tells how good any sampler is.

   OPTIONS

   BML_SAMPLE_IMPLEMENTATION          this file gives the functions, not only their declarations
   BML_SAMPLE_STATIC                  all functions static (define with the above)
   BML_SAMPLE_MALLOC(n), BML_SAMPLE_REALLOC(p, n), BML_SAMPLE_FREE(p)     all three or none; default: the C library's
   BML_SAMPLE_TRAIN                   the training of networks too; includes bml_nn.h (BML_NN_IMPLEMENTATION is yours)

   MATHEMATICS

   Compton. Photon energies are in units of m_e c^2. An electron of Lorentz factor gamma crosses isotropic photons of
   energy eps0. With b = 4 gamma eps0, E = eps/gamma, q = E/(b (1 - E)), the scattered photons have (Jones 1968, Phys.
   Rev. 167, 1159; Blumenthal & Gould 1970, Rev. Mod. Phys. 42, 237, eq. 2.48)
       dN/(dt deps) = n c sigma_T 3/(4 gamma^2 eps0) f(q),
       f(q) = 2 q ln q + (1 + 2q)(1 - q) + (b q)^2 (1 - q)/(2 (1 + b q)),      eps0 <= eps <= gamma b/(1+b).
   - exact    f integrates in closed form over E, with one dilogarithm (section "Compton: closed forms" below); C(E) =
              u is solved by Newton steps from the network's answer, until the residual in u is 1e-13.
   - net      with L = ln(1+b), l = -ln(1-E), t = 1 - sqrt(1-u'), s = L/(L+4):   l = L t (1 + (1-t) N(t, s)), N a
              2-8-8-1 tanh network. The square root takes out the zero of f at q = 1, the logarithm 1 - E -> 0; N
              itself is smooth.
   - table    the same with N bilinear between 64 x 128 nodes, even in sqrt(t) and s.
   Below eps0 a photon would lose energy, which this kernel leaves out: u' = u_min + (1 - u_min) u, u_min = C(eps0).
   Errors, measured by tests/test_sample.c over gamma 1...1e11, eps0 1e-13...1e2, largest of all: in CDF
       net 6e-5, table 1.1e-4, exact 1e-13; in the mean energy, relative, 2e-5 and 4e-5; in the mean of 1 - E 8e-5
       and 4e-4. Photons of whose spectrum only an end is left above eps0 (q(eps0) > 0.26 or eps0 > 0.9 gamma) are
       inverted exactly by all methods, which is slower. Float energies are 6e-8 of themselves apart: where all lie
       within 1 % of each other, that alone is 6e-6 of the CDF.
   The kernel itself holds for gamma >> 1. Against exact two-body kinematics with isotropic photons
   (bml_sample_scatter), its CDF is wrong by at most, for eps0 = 1e-3 and gamma = 1.5, 2, 3, 5, 10:
       0.176, 0.086, 0.036, 0.013, 0.003, and its mean energy too large by 29, 16, 7, 2.6, 0.7 %.
   When NOT to use it: for electrons below gamma of about 5, for photons that lose energy, for photons that are not
   isotropic: there draw with bml_sample_scatter, which is exact for one photon and one electron of given directions.

   Float numbers near E = 1: eps itself can no longer tell 1 - E from 0. Ask for `rest`, which is 1 - E with full
   relative precision, and gives the electron gamma rest + eps0.

   Tables (1-D). Intervals are halved until, on each, a rational quadratic through the CDF and the density at its ends
   (Gregory & Delbourgo 1982, IMA J. Numer. Anal. 2, 123: monotone, inverted by one square root) agrees with 16-point
   Gauss-Legendre quadrature at its quarter points. The error reported is twice the largest disagreement met there.
   Grids (parameters Z): inverse CDFs at the nodes of a regular grid of Z, in the coordinate v = (2/pi) asin sqrt(u),
   in which a density that ends with a step or linearly gives a smooth x; multilinear in Z and v.
   Networks: x_k = lo + (hi-lo) [v + v (1-v) N_k(v, x_1..x_k-1, Z)]: exact at both ends by construction, increasing in
   u by check. Trained on the loss mean (C_k(x_k | x_1..k-1, Z) - u_k)^2 (Charles & Chen 2024, "camel" of connected
   networks).
   Alias (Walker 1977, ACM Trans. Math. Softw. 3, 253; the tables as Vose 1991, IEEE Trans. Softw. Eng. 17, 972).
   Ratio of uniforms (Kinderman & Monahan 1977, ACM Trans. Math. Softw. 3, 257): (s, v) uniform where s^2 <= p(v/s).
   Generator. Philox4x32-10 (Salmon et al. 2011, SC'11): key = seed, counter = (block, stream), 2^66 numbers in each of
   2^64 streams.

   Float functions inside: log and exp(x)-1 to 1 and 2 ulp of their result, tanh to 2e-6 (tested over their ranges). */
#ifndef BML_SAMPLE_H
#define BML_SAMPLE_H
#include <stddef.h>
#include <stdint.h>

#ifndef BML_SAMPLE_DEF
#if defined(BML_SAMPLE_STATIC) && (defined(__GNUC__) || defined(__clang__))
#define BML_SAMPLE_DEF static __attribute__((unused))
#elif defined(BML_SAMPLE_STATIC)
#define BML_SAMPLE_DEF static
#elif defined(__cplusplus)
#define BML_SAMPLE_DEF extern "C"
#else
#define BML_SAMPLE_DEF extern
#endif
#endif

/* ---- status ---- */
/* name, value, message. Everything but OK is negative. */
#define BML_SAMPLE_STATUS_TABLE(X)                                                                                \
    X(BML_SAMPLE_OK, 0, "no error")                                                                               \
    X(BML_SAMPLE_BAD_ARGUMENT, -1, "an argument is missing, NaN, or out of range")                                \
    X(BML_SAMPLE_NO_MEMORY, -2, "out of memory")                                                                  \
    X(BML_SAMPLE_TOO_LARGE, -3, "sizes whose product overflows")                                                  \
    X(BML_SAMPLE_BAD_DENSITY, -4, "the density is negative, NaN or infinite somewhere")                           \
    X(BML_SAMPLE_ZERO_DENSITY, -5, "the density, or the sum of the weights, is zero everywhere")                  \
    X(BML_SAMPLE_NOT_INTEGRABLE, -6, "the integral of the density does not converge")                             \
    X(BML_SAMPLE_OUT_OF_DOMAIN, -7, "gamma or eps0 is out of range, or no energy eps0 <= eps <= eps_max is left") \
    X(BML_SAMPLE_BAD_ENVELOPE, -8, "the density exceeds the bound that was given for it")                         \
    X(BML_SAMPLE_NOT_CONVERGED, -9, "the wanted accuracy was not reached: the best estimate is there")            \
    X(BML_SAMPLE_BAD_ARRAY, -10, "the array is not one that bml_sample_net_write made")                           \
    X(BML_SAMPLE_NOT_MONOTONE, -11, "the trained network does not increase with u everywhere")                    \
    X(BML_SAMPLE_CANCELLED, -12, "cancelled by the progress callback")                                            \
    X(BML_SAMPLE_TRAINING, -13, "bml_nn.h could not train the network")
#define BML_SAMPLE__ENUM(name, value, text) name = value,
enum { BML_SAMPLE_STATUS_TABLE(BML_SAMPLE__ENUM) BML_SAMPLE__STATUS_END = 1 };
#undef BML_SAMPLE__ENUM

enum { BML_SAMPLE_MESSAGE = 512 }; /* bytes of a message, its NUL included */

/* The message of a status; "unknown status" for other numbers. Static text. */
BML_SAMPLE_DEF const char *bml_sample_strerror(int status);

/* ---- random numbers: the generator of all bml headers ---- */
typedef struct bml_sample_rng {
    uint32_t key[2];     /* seed */
    uint32_t counter[4]; /* number of the next block: {block low, stream low, stream high, block high} */
    uint32_t block[4];   /* the present block */
    uint32_t used;       /* words of it already given out, 4 = all */
} bml_sample_rng;        /* plain data: copy it to save it */

/* One Philox4x32-10 block: out[4] from counter[4] and key[2]. */
BML_SAMPLE_DEF void bml_sample_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key);
/* The generator number `stream` of `seed`; different streams do not overlap. */
BML_SAMPLE_DEF void bml_sample_rng_init(bml_sample_rng *rng, uint64_t seed, uint64_t stream);
BML_SAMPLE_DEF uint32_t bml_sample_rng_u32(bml_sample_rng *rng);   /* 32 random bits */
BML_SAMPLE_DEF double bml_sample_rng_uniform(bml_sample_rng *rng); /* uniform in (0,1), both ends excluded, 53 bits */
BML_SAMPLE_DEF double bml_sample_rng_normal(bml_sample_rng *rng);  /* mean 0, sd 1 */
/* density ~ x^(k-1) e^-x, k = twice/2, twice >= 1 */
BML_SAMPLE_DEF double bml_sample_rng_gamma(bml_sample_rng *rng, int twice);
/* n uniforms at once, faster; whole blocks are used up, so that the next draw starts a new one. n >= 0. */
BML_SAMPLE_DEF void bml_sample_rng_fill(double *u, size_t n, bml_sample_rng *rng);

/* ---- Compton: isotropic photons and one electron ---- */
enum { BML_SAMPLE_NET = 0, BML_SAMPLE_TABLE, BML_SAMPLE_EXACT };
enum { BML_SAMPLE__NT = 64, BML_SAMPLE__NS = 128 };

typedef struct bml_sample_compton_nodes { /* 32 KiB, plain data; read only once made, so all threads may share it */
    float n[BML_SAMPLE__NS * BML_SAMPLE__NT];
    int ready;
} bml_sample_compton_nodes;
/* Makes the nodes of BML_SAMPLE_TABLE: milliseconds. BAD_ARGUMENT for NULL. */
BML_SAMPLE_DEF int bml_sample_compton_table(bml_sample_compton_nodes *nodes);

typedef struct bml_sample_photonsf {
    size_t n;                /* photons to draw */
    const float *gamma;      /* [n] Lorentz factors of the electrons, 1 ... 1e11 */
    const float *eps0;       /* [n] photon energies before [m_e c^2], 1e-13 ... 1e2, and below gamma - 1/(4 gamma) */
    int one_gamma, one_eps0; /* 1: there is only one, gamma[0], eps0[0], for all photons */
    int method;              /* BML_SAMPLE_NET, _TABLE, _EXACT */
    const bml_sample_compton_nodes *nodes; /* for BML_SAMPLE_TABLE */
    const float *u;                        /* [n] in [0,1]: the inverse CDF there; NULL = draw from rng */
    float *rest;                           /* [n] takes 1 - eps/gamma, precise also near 0; NULL = not wanted */
} bml_sample_photonsf;
typedef struct bml_sample_photons { /* the same in double */
    size_t n;
    const double *gamma, *eps0;
    int one_gamma, one_eps0;
    int method;
    const bml_sample_compton_nodes *nodes;
    const double *u;
    double *rest;
} bml_sample_photons;

/* Photon energies after scattering, energy[n] [m_e c^2]. All gamma, eps0 and u are checked first; after an error
   nothing has been written. rng may be NULL when u is given; a call takes whole blocks of four words from it, so that
   one call for n is another stream of numbers than n calls for 1. energy, rest must not overlap the inputs. Thread
   safe with an rng per thread. In float, energies keep eps0 <= eps to the bit, and eps <= gamma b/(1+b) up to 1e-6 of
   it. BAD_ARGUMENT, OUT_OF_DOMAIN (gamma or eps0; bml_sample_compton_find says which). */
BML_SAMPLE_DEF int bml_sample_comptonf(float *energy, const bml_sample_photonsf *how, bml_sample_rng *rng);
BML_SAMPLE_DEF int bml_sample_compton(double *energy, const bml_sample_photons *how, bml_sample_rng *rng);
/* Index of the first photon that is out of the domain; n if none is. */
BML_SAMPLE_DEF size_t bml_sample_compton_find(const bml_sample_photons *how);
BML_SAMPLE_DEF size_t bml_sample_compton_findf(const bml_sample_photonsf *how);

/* The CDF of the above at eps, to 1e-13: 0 at and below eps0, 1 at and above gamma b/(1+b). OUT_OF_DOMAIN,
   BAD_ARGUMENT. */
BML_SAMPLE_DEF int bml_sample_compton_cdf(double *cdf, double eps, double gamma, double eps0);
/* Its density, per m_e c^2. Errors as above. */
BML_SAMPLE_DEF int bml_sample_compton_pdf(double *pdf, double eps, double gamma, double eps0);

typedef struct bml_sample_rates {
    double rate;        /* scatterings per second, over n c sigma_T: 1 for b << 1 */
    double loss;        /* energy given to photons per second, over n c sigma_T gamma m_e c^2: b/3 for b << 1 */
    double mean_energy; /* of a scattered photon, over gamma m_e c^2 */
    double mean_rest;   /* 1 - mean_energy, precise also near 0 */
} bml_sample_rates;
/* Rates of the whole kernel (0 < q < 1) as functions of b = 4 gamma eps0, 0 < b <= 1e100, to 1e-13. The probability to
   scatter in a step dt among n photons/cm^3 is 1 - exp(-n c sigma_T rate dt). What the photon had before, eps0, is
   neglected in the loss (relative 1/gamma^2). BAD_ARGUMENT. */
BML_SAMPLE_DEF int bml_sample_compton_rates(bml_sample_rates *rates, double b);

/* Direction out[3] of a photon that left with energy eps, given the electron's direction[3] (a unit vector; both may
   be the same array), by the head-on kinematics that the kernel assumes: within about 1/gamma of the electron's.
   OUT_OF_DOMAIN, BAD_ARGUMENT. */
typedef struct bml_sample_event {
    double gamma, eps0, eps;
} bml_sample_event;
BML_SAMPLE_DEF int bml_sample_compton_direction(double *out, const double *direction, const bml_sample_event *event,
                                                bml_sample_rng *rng);

/* ---- Compton: one photon and one electron, exact ---- */
typedef struct bml_sample_collision {
    double gamma;           /* electron's Lorentz factor, 1 ... 1e11 */
    const double *electron; /* [3] unit vector, its direction; not looked at if gamma = 1 */
    double eps0;            /* photon's energy [m_e c^2], > 0 */
    const double *photon;   /* [3] unit vector, its direction */
} bml_sample_collision;
/* *eps and out[3]: the photon after Klein-Nishina scattering in the electron's rest frame. The rate of such collisions
   is n c (1 - beta mu) bml_sample_klein_nishina(x) sigma_T, x = gamma eps0 (1 - beta mu). BAD_ARGUMENT. */
BML_SAMPLE_DEF int bml_sample_scatter(double *eps, double *out, const bml_sample_collision *collision,
                                      bml_sample_rng *rng);
/* Total cross section over sigma_T for a photon of energy x [m_e c^2] on an electron at rest, to 1e-13; NaN unless 0
   <= x <= 1e100. */
BML_SAMPLE_DEF double bml_sample_klein_nishina(double x);

/* ---- electrons and photons to scatter: x[n] each. BAD_ARGUMENT ---- */
/* Lorentz factors of a relativistic Maxwell (Juettner) distribution, gamma^2 beta e^(-gamma/theta), theta = kT/(m_e
   c^2), 1e-9 ... 1e9 (mixture of gamma distributions with rejection, at least 70 % accepted; Canfield, Howard & Liang
   1987, ApJ 323, 565). */
BML_SAMPLE_DEF int bml_sample_thermal_electrons(double *gamma, size_t n, double theta, bml_sample_rng *rng);
/* draw by number of photons, or by their energy (packets of equal energy) */
enum { BML_SAMPLE_PHOTONS = 0, BML_SAMPLE_ENERGY };
/* h nu/(kT) of black-body photons, exact (mixture of gamma distributions over the terms of 1/(e^x - 1)). */
BML_SAMPLE_DEF int bml_sample_black_body(double *x, size_t n, int weight, bml_sample_rng *rng);

typedef struct bml_sample_synchrotron {
    double ln_x[512], ln_below[512], ln_above[512], slope_below[512], slope_above[512];
    int ready;
} bml_sample_synchrotron; /* plain data, read only once made */
/* For x = nu/nu_c of one electron: F(x) = x int_x^inf K_5/3, drawn as F(x)/x (PHOTONS) or F(x) (ENERGY). A few
   milliseconds. CDF error 1e-7 (tested). */
BML_SAMPLE_DEF int bml_sample_synchrotron_init(bml_sample_synchrotron *table, int weight);
/* x[n] at u[n]; u = NULL: from rng. */
BML_SAMPLE_DEF int bml_sample_synchrotron_draw(double *x, const double *u, size_t n,
                                               const bml_sample_synchrotron *table, bml_sample_rng *rng);

typedef struct bml_sample_power {
    double lower, upper; /* 0 < lower < upper */
    double index;        /* density ~ x^-index */
    double break_at;     /* 0 = none; else in (lower, upper): above it the density goes on as x^-index_above */
    double index_above;
} bml_sample_power;
/* x[n] at u[n]; u = NULL: from rng. Indices within +-1000, also 1 and near it. */
BML_SAMPLE_DEF int bml_sample_power_law(double *x, const double *u, size_t n, const bml_sample_power *power,
                                        bml_sample_rng *rng);

/* ---- any density ---- */
/* p[n], any normalisation, >= 0 and finite, at x[n][n_dim] (1-D: x[n]) for the parameters z[n_z] (NULL if there are
   none). */
typedef void (*bml_sample_density)(double *p, const double *x, const double *z, int n, void *user);

typedef struct bml_sample_table bml_sample_table;
typedef struct bml_sample_table_config {
    bml_sample_density density;
    void *user;
    const double *z;     /* handed to density */
    double lower, upper; /* finite, lower < upper */
    double tolerance;    /* of the CDF, 1e-12 ... 0.1; 0 = 1e-7 */
    int max_intervals;   /* 0 = 65536 */
} bml_sample_table_config;

/* Every function that makes an object takes last
       char *why    [BML_SAMPLE_MESSAGE], or NULL: the reason of a failure as text, "" after success
   After a failure the object is NULL and nothing is to be freed; NOT_CONVERGED and NOT_MONOTONE come with both. */
/* Makes a table. The density
   is first looked at in 2048 points: narrower peaks may be missed. One that is infinite at a point is refused: begin
   beside it. BAD_ARGUMENT, BAD_DENSITY, ZERO_DENSITY, NOT_INTEGRABLE, NOT_CONVERGED (usable; the error is larger). */
BML_SAMPLE_DEF int bml_sample_table_create(bml_sample_table **table, const bml_sample_table_config *config, char *why);
/* From samples[n], n >= 2, finite, not all equal: the empirical CDF through `nodes` quantiles (0 = up to 1024),
   straight between. The error reported holds with 95 % probability (Dvoretzky-Kiefer-Wolfowitz). BAD_ARGUMENT. */
BML_SAMPLE_DEF int bml_sample_table_from_samples(bml_sample_table **table, const double *samples, size_t n, int nodes,
                                                 char *why);
BML_SAMPLE_DEF void bml_sample_table_free(bml_sample_table *table);
BML_SAMPLE_DEF const char *bml_sample_table_message(const bml_sample_table *table);
BML_SAMPLE_DEF double bml_sample_table_error(const bml_sample_table *table);    /* of the CDF, see above */
BML_SAMPLE_DEF double bml_sample_table_integral(const bml_sample_table *table); /* of the density as given */
BML_SAMPLE_DEF int bml_sample_table_intervals(const bml_sample_table *table);
/* x[n] at u[n] in [0,1]. BAD_ARGUMENT. All that follow are thread safe on a const table. */
BML_SAMPLE_DEF int bml_sample_table_inverse(const bml_sample_table *table, double *x, const double *u, size_t n);
BML_SAMPLE_DEF int bml_sample_table_draw(const bml_sample_table *table, double *x, size_t n, bml_sample_rng *rng);
/* cdf[n] and pdf[n] (either may be NULL) at x[n], consistent with the inverse to rounding. BAD_ARGUMENT. */
BML_SAMPLE_DEF int bml_sample_table_cdf(const bml_sample_table *table, double *cdf, double *pdf, const double *x,
                                        size_t n);

/* ---- a density with parameters, on a grid ---- */
enum { BML_SAMPLE_MAX_Z = 6, BML_SAMPLE_MAX_DIM = 8 };
typedef struct bml_sample_grid bml_sample_grid;
typedef struct bml_sample_grid_config {
    bml_sample_density density;
    void *user;
    double lower, upper;             /* of x */
    int n_z;                         /* 1 ... BML_SAMPLE_MAX_Z */
    const double *z_lower, *z_upper; /* [n_z] */
    const int *z_nodes;              /* [n_z] 2 and more each */
    int u_nodes;                     /* 0 = 257 */
} bml_sample_grid_config;
/* Makes the inverse CDFs at all nodes (u_nodes times the product of z_nodes doubles), and measures the error of the
   CDF in the middle of the cells (at most 4096 of them, evenly chosen). Errors and ownership as for tables; TOO_LARGE.
   */
BML_SAMPLE_DEF int bml_sample_grid_create(bml_sample_grid **grid, const bml_sample_grid_config *config, char *why);
BML_SAMPLE_DEF void bml_sample_grid_free(bml_sample_grid *grid);
BML_SAMPLE_DEF const char *bml_sample_grid_message(const bml_sample_grid *grid);
BML_SAMPLE_DEF double bml_sample_grid_error(const bml_sample_grid *grid); /* largest |C(x(u|Z)|Z) - u| that was met */
/* x[n] for z[n][n_z], at u[n], or drawn where u is NULL. BAD_ARGUMENT (also: z outside the grid). */
BML_SAMPLE_DEF int bml_sample_grid_draw(const bml_sample_grid *grid, double *x, const double *z, const double *u,
                                        size_t n, bml_sample_rng *rng);

/* ---- discrete weights ---- */
typedef struct bml_sample_alias bml_sample_alias;
/* weights[n] >= 0, finite, not all zero. *alias is NULL after an error. BAD_DENSITY, ZERO_DENSITY, BAD_ARGUMENT,
   TOO_LARGE, NO_MEMORY. */
BML_SAMPLE_DEF int bml_sample_alias_create(bml_sample_alias **alias, const double *weights, size_t n, char *why);
BML_SAMPLE_DEF void bml_sample_alias_free(bml_sample_alias *alias);
/* index[n] in 0 ... number of weights - 1. BAD_ARGUMENT. */
BML_SAMPLE_DEF int bml_sample_alias_draw(const bml_sample_alias *alias, uint32_t *index, size_t n, bml_sample_rng *rng);

/* ---- reference methods: slow, and right for any density of which a bound is known ---- */
typedef struct bml_sample_rejection {
    bml_sample_density density;
    void *user;
    const double *z;
    double lower, upper;
    double bound; /* density <= bound */
} bml_sample_rejection;
/* x[n]. BAD_ENVELOPE where the density exceeds its bound, BAD_DENSITY, NOT_CONVERGED after 1e7 proposals for one draw:
   then x is not to be used. */
BML_SAMPLE_DEF int bml_sample_reject(double *x, size_t n, const bml_sample_rejection *how, bml_sample_rng *rng);
typedef struct bml_sample_ratio {
    bml_sample_density density;
    void *user;
    const double *z;
    double s_max;        /* density <= s_max^2 */
    double v_min, v_max; /* x sqrt(density) lies between; x is not limited */
} bml_sample_ratio;
BML_SAMPLE_DEF int bml_sample_ratio_of_uniforms(double *x, size_t n, const bml_sample_ratio *how, bml_sample_rng *rng);

/* ---- networks ---- */
typedef struct bml_sample_net bml_sample_net;
/* From array[count] as bml_sample_net_write or _train made it; copied. BAD_ARRAY, NO_MEMORY. *net is NULL after an
   error. */
BML_SAMPLE_DEF int bml_sample_net_create(bml_sample_net **net, const float *array, size_t count, char *why);
BML_SAMPLE_DEF void bml_sample_net_free(bml_sample_net *net);
BML_SAMPLE_DEF int bml_sample_net_dims(const bml_sample_net *net, int *n_z); /* n_dim; *n_z unless NULL */
/* lives as long as the net */
BML_SAMPLE_DEF const float *bml_sample_net_array(const bml_sample_net *net, size_t *count);
/* x[n][n_dim] at u[n][n_dim], or drawn where u is NULL, for z[n_z] (one_z = 1) or z[n][n_z]; z NULL if n_z = 0.
   Parameters outside the range trained on are refused. BAD_ARGUMENT. Thread safe on a const net. */
typedef struct bml_sample_net_call {
    size_t n;
    const float *u, *z;
    int one_z;
} bml_sample_net_call;
BML_SAMPLE_DEF int bml_sample_net_draw(const bml_sample_net *net, float *x, const bml_sample_net_call *call,
                                       bml_sample_rng *rng);
/* As C text, `static const float NAME[COUNT] = {...};`, to paste. Returns the bytes needed without the final 0, as
   snprintf does. */
BML_SAMPLE_DEF size_t bml_sample_net_write(char *text, size_t size, const bml_sample_net *net, const char *name);
/* As the bytes of a safetensors file: tensors "x1.0.weight" [out][in], "x1.0.bias" ..., ranges in the metadata. As
   above. */
BML_SAMPLE_DEF size_t bml_sample_net_safetensors(unsigned char *bytes, size_t size, const bml_sample_net *net);

/* ---- how good is a sampler? ---- */
/* y[n] of x[n]: an inverse CDF, or a CDF */
typedef void (*bml_sample_map)(double *y, const double *x, int n, void *user);
typedef struct bml_sample_quality {
    double max_error, mean_error; /* of |C(x(u)) - u| over the values of u */
    double js;                    /* Jensen-Shannon divergence [nats] of the density that x(u) implies from the true
                                     one, over bins of equal probability */
    size_t falls;                 /* how often x(u) fell with rising u; 0 = monotone as far as seen */
} bml_sample_quality;
/* At n values of u (0 = 100,000), over `bins` bins (0 = 200). No random numbers, so no noise. BAD_ARGUMENT, NO_MEMORY.
   */
typedef struct bml_sample_check {
    bml_sample_map inverse, cdf;
    void *user;
    int n, bins;
} bml_sample_check;
BML_SAMPLE_DEF int bml_sample_check_inverse(bml_sample_quality *quality, const bml_sample_check *check);
/* Jensen-Shannon divergence [nats] of a histogram counts[bins] from its probabilities prob[bins] (sum 1), with what
   pure noise would give: mean (bins-1)/(8 N) and sd sqrt(2 (bins-1))/(8 N), N counts in all, true when expected counts
   are 5 and more. BAD_ARGUMENT. */
typedef struct bml_sample_divergence {
    double js, noise, noise_sd;
} bml_sample_divergence;
BML_SAMPLE_DEF int bml_sample_histogram(bml_sample_divergence *out, const double *counts, const double *prob, int bins);

/* ---- training (BML_SAMPLE_TRAIN) ---- */
#ifdef BML_SAMPLE_TRAIN
typedef struct bml_sample_progress {
    int output, n_outputs, epoch, epochs;
    double loss, target;
} bml_sample_progress;
typedef struct bml_sample_training {
    bml_sample_density density; /* of x[n_dim], for z[n_z] */
    void *user;
    int n_dim, n_z;                  /* 1 ... 3, 0 ... BML_SAMPLE_MAX_Z */
    const double *lower, *upper;     /* [n_dim] */
    const double *z_lower, *z_upper; /* [n_z] */
    const int *hidden;               /* [n_hidden] widths of the hidden layers; NULL = 32, 32, 32 */
    int n_hidden;                    /* up to 8 */
    double target;                   /* the loss at which training ends; 0 = 1e-6 */
    int conditions;                  /* values of (Z, x_1..k-1) for which CDFs are made; 0 = 256 */
    int points;                      /* values of u for each; 0 = 64 */
    int epochs;                      /* at most; 0 = 2000 */
    int batch;                       /* rows at first; 0 = 32; it doubles three times, evenly over the epochs */
    double learning_rate;            /* 0 = 1e-2, falling to 1 % along a cosine */
    int threads;                     /* 0 = 1 */
    uint64_t seed;
    /* after every epoch; non-zero cancels; NULL = none */
    int (*progress)(const bml_sample_progress *progress, void *user);
    void *progress_user;
} bml_sample_training;
/* Makes *net, and *loss (unless NULL), the worst of the outputs' mean (C - u)^2 over the training set. The CDFs come
   from 1-D tables of the density, its later coordinates integrated out by 32-point Gauss-Legendre quadrature: it must
   be smooth at 1/32 of its range. NOT_CONVERGED (target not reached) and NOT_MONOTONE come with the net. Errors of the
   tables, TRAINING, CANCELLED, NO_MEMORY. */
BML_SAMPLE_DEF int bml_sample_net_train(bml_sample_net **net, double *loss, const bml_sample_training *training,
                                        char *why);
#endif

#endif /* BML_SAMPLE_H */
/* ---- end of API ---- */

#if defined(BML_SAMPLE_IMPLEMENTATION) && !defined(BML_SAMPLE_IMPLEMENTED)
#define BML_SAMPLE_IMPLEMENTED
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h> /* vsnprintf into message buffers; nothing is printed */
#include <string.h>
#ifndef BML_SAMPLE_MALLOC
#include <stdlib.h>
#define BML_SAMPLE_MALLOC(n) malloc(n)
#define BML_SAMPLE_REALLOC(p, n) realloc(p, n)
#define BML_SAMPLE_FREE(p) free(p)
#endif
#define BML_SAMPLE__NAN ((double)NAN) /* the C library's are float: said aloud for -Wdouble-promotion */
#define BML_SAMPLE__PI 3.14159265358979323846
#if defined(__GNUC__) || defined(__clang__)
#define BML_SAMPLE_RESTRICT __restrict__
#define BML_SAMPLE_PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define BML_SAMPLE_RESTRICT
#define BML_SAMPLE_PRINTF(a, b)
#endif

/* >> status and memory */

BML_SAMPLE_DEF const char *bml_sample_strerror(int status) {
#define BML_SAMPLE__CASE(name, value, text) \
    if (status == value) return text;
    BML_SAMPLE_STATUS_TABLE(BML_SAMPLE__CASE)
#undef BML_SAMPLE__CASE
    return "unknown status";
}

enum { BML_SAMPLE__CHUNK = 256 /* numbers worked on at once; a multiple of 4 */ };

/* Writes the message and hands the status through: return bml_sample__fail(...). */
BML_SAMPLE_PRINTF(3, 4) static int bml_sample__fail(char *message, int status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(message, BML_SAMPLE_MESSAGE, format, args);
    va_end(args);
    return status;
}

/* What a function that makes an object says in why, which may be NULL: message, or the status where that is empty. */
static int bml_sample__say(char *why, int status, const char *message) {
    if (why) why[0] = 0;
    if (why && status) snprintf(why, BML_SAMPLE_MESSAGE, "%s", message[0] ? message : bml_sample_strerror(status));
    return status;
}

/* *product = a b c, or 0 if that overflows. */
static int bml_sample__mul(size_t *product, size_t a, size_t b, size_t c) {
    if (b && a > (size_t)-1 / b) return 0;
    a *= b;
    if (c && a > (size_t)-1 / c) return 0;
    *product = a * c;
    return 1;
}

/* a b c zeroed bytes, NULL on overflow or without memory. */
static void *bml_sample__alloc(size_t a, size_t b, size_t c) {
    size_t bytes;
    if (!bml_sample__mul(&bytes, a, b, c)) return NULL;
    void *p = BML_SAMPLE_MALLOC(bytes ? bytes : 1);
    if (p) memset(p, 0, bytes);
    return p;
}

static double *bml_sample__doubles(size_t a, size_t b) {
    return (double *)bml_sample__alloc(a, b, sizeof(double));
}

/* How many of the n that are left go into the next chunk. */
static size_t bml_sample__part(size_t n) {
    return n < (size_t)BML_SAMPLE__CHUNK ? n : (size_t)BML_SAMPLE__CHUNK;
}

/* All u[n] in [0,1]; NaN is not. */
static int bml_sample__all_in_unit(const double *u, size_t n) {
    int bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= !(u[i] >= 0 && u[i] <= 1);
    return !bad;
}

/* >> random numbers
   One block of Philox gives four words. The batches make the blocks of a chunk side by side, in vector registers, and
   use first all first words, then all second words and so on. */

BML_SAMPLE_DEF void bml_sample_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key) {
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

BML_SAMPLE_DEF void bml_sample_rng_init(bml_sample_rng *rng, uint64_t seed, uint64_t stream) {
    memset(rng, 0, sizeof *rng);
    rng->key[0] = (uint32_t)seed;
    rng->key[1] = (uint32_t)(seed >> 32);
    rng->counter[1] = (uint32_t)stream;
    rng->counter[2] = (uint32_t)(stream >> 32);
    rng->used = 4;
}

BML_SAMPLE_DEF uint32_t bml_sample_rng_u32(bml_sample_rng *rng) {
    if (rng->used >= 4) {
        bml_sample_philox(rng->block, rng->counter, rng->key);
        if (!++rng->counter[0]) rng->counter[3]++;
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

/* (k + 1/2)/2^53: never 0 or 1. */
static double bml_sample__unit(uint32_t high, uint32_t low) {
    return ((double)((((uint64_t)high << 32) | low) >> 11) + 0.5) * (1.0 / 9007199254740992.0);
}

BML_SAMPLE_DEF double bml_sample_rng_uniform(bml_sample_rng *rng) {
    uint32_t high = bml_sample_rng_u32(rng);
    uint32_t low = bml_sample_rng_u32(rng);
    double u = bml_sample__unit(high, low);
    return u < 1 ? u : 1 - DBL_EPSILON / 2; /* 2^53 - 1/2 rounds up */
}

BML_SAMPLE_DEF double bml_sample_rng_normal(bml_sample_rng *rng) { /* Box & Muller 1958 */
    double r = sqrt(-2 * log(bml_sample_rng_uniform(rng)));
    return r * cos(2 * BML_SAMPLE__PI * bml_sample_rng_uniform(rng));
}

/* A sum of exponentials, and half the square of a normal for the odd half. */
BML_SAMPLE_DEF double bml_sample_rng_gamma(bml_sample_rng *rng, int twice) {
    double sum = 0;
    for (; twice >= 2; twice -= 2)
        sum -= log(bml_sample_rng_uniform(rng));
    if (twice == 1) {
        double z = bml_sample_rng_normal(rng);
        sum += 0.5 * z * z;
    }
    return sum;
}

/* words[4][blocks], blocks <= BML_SAMPLE__CHUNK/2: the next blocks of the stream. */
static void bml_sample__words(uint32_t *BML_SAMPLE_RESTRICT words, int blocks, bml_sample_rng *rng) {
    const uint32_t first = rng->counter[0];
    const uint32_t high = rng->counter[3];
    const uint32_t s1 = rng->counter[1];
    const uint32_t s2 = rng->counter[2];
    const uint32_t key0 = rng->key[0];
    const uint32_t key1 = rng->key[1];
    uint32_t *BML_SAMPLE_RESTRICT w0 = words;
    uint32_t *BML_SAMPLE_RESTRICT w1 = words + blocks;
    uint32_t *BML_SAMPLE_RESTRICT w2 = words + 2 * blocks;
    uint32_t *BML_SAMPLE_RESTRICT w3 = words + 3 * blocks;
    for (int j = 0; j < blocks; j++) {
        uint32_t c0 = first + (uint32_t)j;
        uint32_t c1 = s1;
        uint32_t c2 = s2;
        uint32_t c3 = high + (c0 < first);
        uint32_t k0 = key0;
        uint32_t k1 = key1;
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
        w0[j] = c0;
        w1[j] = c1;
        w2[j] = c2;
        w3[j] = c3;
    }
    rng->counter[0] = first + (uint32_t)blocks;
    rng->counter[3] = high + (rng->counter[0] < first);
    rng->used = 4;
}

BML_SAMPLE_DEF void bml_sample_rng_fill(double *u, size_t n, bml_sample_rng *rng) {
    uint32_t words[2 * BML_SAMPLE__CHUNK];
    size_t m;
    for (size_t done = 0; done < n; done += m) {
        m = bml_sample__part(n - done);
        size_t half = 2 * ((m + 1) / 2); /* words 0, 1 of the blocks are the high ones, 2, 3 the low ones */
        bml_sample__words(words, (int)(half / 2), rng);
        for (size_t i = 0; i < m; i++) {
            double x = bml_sample__unit(words[i], words[half + i]);
            u[done + i] = x < 1 ? x : 1 - DBL_EPSILON / 2;
        }
    }
}

/* u of chunk number k: those given, or fresh ones in room[]. */
static const double *bml_sample__take(double *room, const double *u, size_t done, size_t m, bml_sample_rng *rng) {
    if (u) return u + done;
    bml_sample_rng_fill(room, m, rng);
    return room;
}

/* >> quadrature: Gauss-Legendre, 16 points, on [-1,1] (Abramowitz & Stegun 1964, table 25.4) */

static const double bml_sample__gl_x[8] = {0.0950125098376374402, 0.2816035507792589132, 0.4580167776572273863,
                                           0.6178762444026437484, 0.7554044083550030339, 0.8656312023878317439,
                                           0.9445750230732325761, 0.9894009349916499326};
static const double bml_sample__gl_w[8] = {0.1894506104550684963, 0.1826034150449235889, 0.1691565193950025382,
                                           0.1495959888165767321, 0.1246289712555338720, 0.0951585116824927848,
                                           0.0622535239386478929, 0.0271524594117540949};

/* x[16] on [a,b], ascending. */
static void bml_sample__gl_points(double *x, double a, double b) {
    for (int i = 0; i < 8; i++) {
        x[7 - i] = 0.5 * (a + b) - 0.5 * (b - a) * bml_sample__gl_x[i];
        x[8 + i] = 0.5 * (a + b) + 0.5 * (b - a) * bml_sample__gl_x[i];
    }
}

static double bml_sample__gl_sum(const double *p, double a, double b) {
    double sum = 0;
    for (int i = 0; i < 8; i++)
        sum += bml_sample__gl_w[i] * (p[7 - i] + p[8 + i]);
    return 0.5 * (b - a) * sum;
}

/* >> tables of one density
   Intervals stand in a list in order of x; those that are not good enough are halved, pass after pass. */

typedef struct bml_sample__cell {
    double a, b, pa, pb, part[4], mass, misfit, doubt; /* ends, density there, mass of the quarters, errors */
    int next, done;                                    /* index of the cell to the right, -1 at the end */
} bml_sample__cell;

struct bml_sample_table {
    double *x, *c;        /* [n + 1] ends of the cells, and the CDF there */
    double *left, *right; /* [n] density at the ends of each cell, over the mean density in it */
    int *guide;           /* [n] the cell in which u = k/n lies */
    int n;
    double error, integral;
    char message[BML_SAMPLE_MESSAGE];
};

typedef struct bml_sample__build {
    bml_sample_table *table;
    bml_sample_table_config config;
    bml_sample__cell *cell;
    int n, room;
} bml_sample__build;

/* p[n] at x[n], refused unless finite and not negative. */
static int bml_sample__look(bml_sample__build *b, double *p, const double *x, int n) {
    b->config.density(p, x, b->config.z, n, b->config.user);
    for (int i = 0; i < n; i++)
        if (!(p[i] >= 0 && p[i] - p[i] == 0))
            return bml_sample__fail(b->table->message, BML_SAMPLE_BAD_DENSITY, "the density at x = %.9g is %g", x[i],
                                    p[i]);
    return BML_SAMPLE_OK;
}

/* The CDF inside a cell at the share xi of its width: a rational quadratic, 0 at 0 and 1 at 1. */
static double bml_sample__rational(double xi, double left, double right) {
    double product = xi * (1 - xi);
    return (xi * xi + left * product) / (1 + (left + right - 2) * product);
}

static double bml_sample__rational_inverse(double y, double left, double right) {
    double k = left + right - 2;
    double a = 1 - left + y * k;
    double b = left - y * k;
    double root = b * b + 4 * a * y;
    double below = b + sqrt(root > 0 ? root : 0);
    double xi = below > 0 ? 2 * y / below : 0;
    return xi < 1 ? xi : 1;
}

/* Integrates over one cell: misfit is the disagreement of the rational quadratic, doubt that of quadrature with
   itself. */
static int bml_sample__measure(bml_sample__build *b, bml_sample__cell *cell) {
    double x[80];
    double p[80];
    double h = 0.25 * (cell->b - cell->a);
    double sum = 0;
    for (int k = 0; k < 4; k++)
        bml_sample__gl_points(x + 16 * k, cell->a + k * h, k < 3 ? cell->a + (k + 1) * h : cell->b);
    bml_sample__gl_points(x + 64, cell->a, cell->b);
    int status = bml_sample__look(b, p, x, 80);
    if (status) return status;
    if (!(cell->pa - cell->pa == 0)) cell->pa = p[0]; /* infinite at an end of the range: as it is beside it */
    if (!(cell->pb - cell->pb == 0)) cell->pb = p[63];
    for (int k = 0; k < 4; k++)
        cell->part[k] = bml_sample__gl_sum(p + 16 * k, 0, h);
    cell->mass = cell->part[0] + cell->part[1] + cell->part[2] + cell->part[3];
    cell->doubt = fabs(cell->mass - bml_sample__gl_sum(p + 64, cell->a, cell->b));
    cell->misfit = 0;
    for (int k = 1; k < 4 && cell->mass > 0; k++) {
        double scale = 4 * h / cell->mass;
        double y = bml_sample__rational(0.25 * k, cell->pa * scale, cell->pb * scale);
        sum += cell->part[k - 1];
        double d = fabs(y * cell->mass - sum);
        if (!(d <= cell->misfit)) cell->misfit = d;
    }
    cell->done = 0;
    return BML_SAMPLE_OK;
}

/* Halves cell i; the new right half goes to the end of the array. */
static int bml_sample__halve(bml_sample__build *b, int i) {
    bml_sample__cell *left = &b->cell[i];
    bml_sample__cell *right = &b->cell[b->n];
    double middle = 0.5 * (left->a + left->b);
    double p;
    int status = bml_sample__look(b, &p, &middle, 1);
    if (status) return status;
    *right = *left;
    right->a = left->b = middle;
    right->pa = left->pb = p;
    left->next = b->n++;
    status = bml_sample__measure(b, left);
    return status ? status : bml_sample__measure(b, right);
}

/* The 32 first cells. */
static int bml_sample__first_cells(bml_sample__build *b) {
    double lower = b->config.lower;
    double width = b->config.upper - lower;
    double x[33];
    double p[33];
    int status = BML_SAMPLE_OK;
    for (int i = 0; i <= 32; i++)
        x[i] = i < 32 ? lower + width * i / 32 : b->config.upper;
    b->config.density(p, x, b->config.z, 33, b->config.user);
    for (int i = 0; i <= 32; i++) {
        int end = i == 0 || i == 32;
        if (!(p[i] >= 0) || (!end && !(p[i] - p[i] == 0)))
            return bml_sample__fail(b->table->message, BML_SAMPLE_BAD_DENSITY, "the density at x = %.9g is %g", x[i],
                                    p[i]);
    }
    for (int i = 0; !status && i < 32; i++) {
        bml_sample__cell *c = &b->cell[i];
        c->a = x[i];
        c->b = x[i + 1];
        c->pa = p[i];
        c->pb = p[i + 1];
        c->next = i < 31 ? i + 1 : -1;
        status = bml_sample__measure(b, c);
    }
    b->n = 32;
    return status;
}

static double bml_sample__total(const bml_sample__build *b) {
    double sum = 0;
    for (int i = 0; i < b->n; i++)
        sum += b->cell[i].mass;
    return sum;
}

/* Room for one more cell, unless there are as many as may be. */
static int bml_sample__grow(bml_sample__build *b) {
    int room = b->room < b->config.max_intervals / 2 ? 2 * b->room : b->config.max_intervals;
    if (b->n < b->room || room == b->room) return 1;
    bml_sample__cell *more;
    more = (bml_sample__cell *)BML_SAMPLE_REALLOC(b->cell, (size_t)room * sizeof *more);
    if (!more) return 0;
    b->cell = more;
    b->room = room;
    return 1;
}

/* Halves until all cells are good, or cannot be halved. */
static int bml_sample__refine(bml_sample__build *b) {
    double tolerance = b->config.tolerance;
    double range = b->config.upper - b->config.lower;
    int i;
    int n;
    int more = 1;
    int status = BML_SAMPLE_OK;
    for (int pass = 0; more && pass < 200; pass++) {
        double total = bml_sample__total(b);
        if (!(total - total == 0)) break;
        more = 0;
        for (i = 0, n = b->n; !status && i < n; i++) {
            if (!bml_sample__grow(b)) return BML_SAMPLE_NO_MEMORY;
            bml_sample__cell *c = &b->cell[i];
            double middle = 0.5 * (c->a + c->b);
            if (c->done || (c->misfit <= 0.25 * tolerance * total && c->doubt <= tolerance * total / 64)) continue;
            c->done = !(c->b - c->a > 1e-14 * range) || !(middle > c->a && middle < c->b);
            if (c->done) continue;
            if (b->n == b->room) return BML_SAMPLE_OK; /* full: what is missing shows in the error */
            status = bml_sample__halve(b, i);
            more = 1;
        }
    }
    return status;
}

static int bml_sample__table_room(bml_sample_table *t, int n) {
    t->n = n;
    t->x = bml_sample__doubles((size_t)n + 1, 1);
    t->c = bml_sample__doubles((size_t)n + 1, 1);
    t->left = bml_sample__doubles((size_t)n, 1);
    t->right = bml_sample__doubles((size_t)n, 1);
    t->guide = (int *)bml_sample__alloc((size_t)n, sizeof(int), 1);
    return t->x && t->c && t->left && t->right && t->guide;
}

static void bml_sample__guide(bml_sample_table *t) {
    int i = 0;
    for (int k = 0; k < t->n; k++) {
        while (i < t->n - 1 && t->c[i + 1] <= (double)k / t->n)
            i++;
        t->guide[k] = i;
    }
}

/* The list as a table. */
static int bml_sample__finish(bml_sample__build *b) {
    bml_sample_table *t = b->table;
    double total = bml_sample__total(b);
    double sum = 0;
    double misfit = 0;
    double doubt = 0;
    double worst = 0;
    double at = 0;
    if (!(total - total == 0))
        return bml_sample__fail(t->message, BML_SAMPLE_NOT_INTEGRABLE, "the integral is infinite");
    if (!(total > 0)) return BML_SAMPLE_ZERO_DENSITY;
    if (!bml_sample__table_room(t, b->n)) return BML_SAMPLE_NO_MEMORY;
    int k;
    for (int i = k = 0; k >= 0; k = b->cell[k].next, i++) {
        bml_sample__cell *c = &b->cell[k];
        double scale = c->mass > 0 ? (c->b - c->a) / c->mass : 0;
        t->x[i] = c->a;
        t->x[i + 1] = c->b;
        t->left[i] = c->mass > 0 ? c->pa * scale : 1;
        t->right[i] = c->mass > 0 ? c->pb * scale : 1;
        t->c[i] = sum / total;
        sum += c->mass;
        doubt += c->doubt;
        if (c->misfit > misfit) misfit = c->misfit;
        if (c->doubt > worst) {
            worst = c->doubt;
            at = c->a;
        }
    }
    t->c[t->n] = 1;
    t->integral = total;
    t->error = 2 * misfit / total + doubt / total;
    bml_sample__guide(t);
    if (worst > 1e-3 * total)
        return bml_sample__fail(t->message, BML_SAMPLE_NOT_INTEGRABLE, "near x = %.9g the integral grows without end",
                                at);
    if (!(t->error <= b->config.tolerance))
        return bml_sample__fail(t->message, BML_SAMPLE_NOT_CONVERGED, "%d intervals, CDF error %.2g", t->n, t->error);
    return BML_SAMPLE_OK;
}

static int bml_sample__table_arguments(bml_sample_table_config *c) {
    if (c->tolerance == 0) c->tolerance = 1e-7;
    if (c->max_intervals == 0) c->max_intervals = 65536;
    return c->density && c->lower < c->upper && c->upper - c->lower <= DBL_MAX && c->tolerance >= 1e-12 &&
           c->tolerance <= 0.1 && c->max_intervals >= 32 && c->max_intervals <= 1 << 24;
}

static int bml_sample__table_make(bml_sample_table **table, const bml_sample_table_config *config) {
    bml_sample__build b;
    memset(&b, 0, sizeof b);
    b.table = *table = (bml_sample_table *)bml_sample__alloc(1, sizeof **table, 1);
    if (!*table) return BML_SAMPLE_NO_MEMORY;
    if (config) b.config = *config;
    if (!config || !bml_sample__table_arguments(&b.config))
        return bml_sample__fail((*table)->message, BML_SAMPLE_BAD_ARGUMENT,
                                "needs a density, finite lower < upper, tolerance 1e-12 ... 0.1, 32 intervals or more");
    b.room = 32;
    b.cell = (bml_sample__cell *)bml_sample__alloc((size_t)b.room, sizeof *b.cell, 1);
    int status = b.cell ? bml_sample__first_cells(&b) : BML_SAMPLE_NO_MEMORY;
    if (!status) status = bml_sample__refine(&b);
    if (!status) status = bml_sample__finish(&b);
    BML_SAMPLE_FREE(b.cell);
    if (status && status != BML_SAMPLE_NOT_CONVERGED) (*table)->n = 0; /* not usable */
    if (status == BML_SAMPLE_NO_MEMORY) {
        bml_sample_table_free(*table);
        *table = NULL;
    }
    return status;
}

/* A table that cannot be used is freed, its message handed on. */
static int bml_sample__table_hand(bml_sample_table **table, int status, char *why) {
    bml_sample__say(why, status, *table ? (*table)->message : "");
    if (status && status != BML_SAMPLE_NOT_CONVERGED) {
        bml_sample_table_free(*table);
        *table = NULL;
    }
    return status;
}

BML_SAMPLE_DEF int bml_sample_table_create(bml_sample_table **table, const bml_sample_table_config *config, char *why) {
    if (!table) return bml_sample__say(why, BML_SAMPLE_BAD_ARGUMENT, "");
    return bml_sample__table_hand(table, bml_sample__table_make(table, config), why);
}

static int bml_sample__ascending(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Heap sort, so that no worst case is slow and no library is needed for the header's allocator. */
static void bml_sample__sift(double *x, size_t root, size_t n) {
    size_t child;
    while ((child = 2 * root + 1) < n) {
        double value = x[root];
        if (child + 1 < n && bml_sample__ascending(&x[child], &x[child + 1]) < 0) child++;
        if (!(x[child] > value)) return;
        x[root] = x[child];
        x[child] = value;
        root = child;
    }
}

static void bml_sample__sort(double *x, size_t n) {
    for (size_t i = n / 2; i-- > 0;)
        bml_sample__sift(x, i, n);
    for (size_t i = n; i-- > 1;) {
        double last = x[i];
        x[i] = x[0];
        x[0] = last;
        bml_sample__sift(x, 0, i);
    }
}

static int bml_sample__table_of(bml_sample_table **table, const double *samples, size_t n, int nodes) {
    int bad = !samples || n < 2 || n > (size_t)-1 / 64;
    *table = NULL;
    if (nodes < 0) return BML_SAMPLE_BAD_ARGUMENT;
    bml_sample_table *t;
    t = *table = (bml_sample_table *)bml_sample__alloc(1, sizeof *t, 1);
    if (!t) return BML_SAMPLE_NO_MEMORY;
    for (size_t s = 0; !bad && s < n; s++)
        bad = !(samples[s] - samples[s] == 0);
    if (bad) return bml_sample__fail(t->message, BML_SAMPLE_BAD_ARGUMENT, "needs two finite samples or more");
    int k = nodes ? nodes : 1024;
    if ((size_t)k > n) k = (int)n;
    if (k < 2) k = 2;
    double *sorted = bml_sample__doubles(n, 1);
    if (!sorted || !bml_sample__table_room(t, k - 1)) {
        BML_SAMPLE_FREE(sorted);
        bml_sample_table_free(t);
        *table = NULL;
        return BML_SAMPLE_NO_MEMORY;
    }
    memcpy(sorted, samples, n * sizeof *sorted);
    bml_sample__sort(sorted, n);
    for (int i = 0; i < k; i++) {
        double at = (double)(n - 1) * i / (k - 1);
        size_t below = (size_t)at < n - 1 ? (size_t)at : n - 2;
        t->x[i] = sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
        t->c[i] = (double)i / (k - 1);
        if (i < k - 1) t->left[i] = t->right[i] = 1;
    }
    bad = !(sorted[0] < sorted[n - 1]);
    BML_SAMPLE_FREE(sorted);
    t->integral = 1;
    t->error = sqrt(log(2 / 0.05) / (2 * (double)n)) + 1.0 / (k - 1);
    bml_sample__guide(t);
    if (bad) t->n = 0;
    return bad ? bml_sample__fail(t->message, BML_SAMPLE_BAD_ARGUMENT, "all samples are equal") : BML_SAMPLE_OK;
}

BML_SAMPLE_DEF int bml_sample_table_from_samples(bml_sample_table **table, const double *samples, size_t n, int nodes,
                                                 char *why) {
    if (!table) return bml_sample__say(why, BML_SAMPLE_BAD_ARGUMENT, "");
    return bml_sample__table_hand(table, bml_sample__table_of(table, samples, n, nodes), why);
}

BML_SAMPLE_DEF void bml_sample_table_free(bml_sample_table *t) {
    if (!t) return;
    BML_SAMPLE_FREE(t->x);
    BML_SAMPLE_FREE(t->c);
    BML_SAMPLE_FREE(t->left);
    BML_SAMPLE_FREE(t->right);
    BML_SAMPLE_FREE(t->guide);
    BML_SAMPLE_FREE(t);
}

BML_SAMPLE_DEF const char *bml_sample_table_message(const bml_sample_table *t) {
    return t ? t->message : "";
}
BML_SAMPLE_DEF double bml_sample_table_error(const bml_sample_table *t) {
    return t && t->n ? t->error : BML_SAMPLE__NAN;
}
BML_SAMPLE_DEF double bml_sample_table_integral(const bml_sample_table *t) {
    return t && t->n ? t->integral : BML_SAMPLE__NAN;
}
BML_SAMPLE_DEF int bml_sample_table_intervals(const bml_sample_table *t) {
    return t ? t->n : 0;
}

static double bml_sample__table_at(const bml_sample_table *t, double u) {
    int k = (int)(u * t->n);
    int i = t->guide[k < t->n ? k : t->n - 1];
    while (i < t->n - 1 && !(u < t->c[i + 1]))
        i++;
    double mass = t->c[i + 1] - t->c[i];
    if (!(mass > 0)) return t->x[i]; /* u = 1, and no density at the end */
    double x =
        t->x[i] + (t->x[i + 1] - t->x[i]) * bml_sample__rational_inverse((u - t->c[i]) / mass, t->left[i], t->right[i]);
    return x < t->x[i + 1] ? x : t->x[i + 1];
}

BML_SAMPLE_DEF int bml_sample_table_inverse(const bml_sample_table *table, double *x, const double *u, size_t n) {
    if (!table || !table->n || !x || !u || !bml_sample__all_in_unit(u, n)) return BML_SAMPLE_BAD_ARGUMENT;
    for (size_t i = 0; i < n; i++)
        x[i] = bml_sample__table_at(table, u[i]);
    return BML_SAMPLE_OK;
}

BML_SAMPLE_DEF int bml_sample_table_draw(const bml_sample_table *table, double *x, size_t n, bml_sample_rng *rng) {
    if (!table || !table->n || !x || !rng) return BML_SAMPLE_BAD_ARGUMENT;
    bml_sample_rng_fill(x, n, rng);
    for (size_t i = 0; i < n; i++)
        x[i] = bml_sample__table_at(table, x[i]);
    return BML_SAMPLE_OK;
}

/* The cell that holds x, which is inside the table. */
static int bml_sample__cell_of(const double *edge, int n, double x) {
    int low = 0;
    int high = n;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (edge[middle] <= x)
            low = middle;
        else
            high = middle;
    }
    return low;
}

BML_SAMPLE_DEF int bml_sample_table_cdf(const bml_sample_table *t, double *cdf, double *pdf, const double *x,
                                        size_t n) {
    if (!t || !t->n || !x) return BML_SAMPLE_BAD_ARGUMENT;
    for (size_t s = 0; s < n; s++)
        if (x[s] != x[s]) return BML_SAMPLE_BAD_ARGUMENT;
    for (size_t s = 0; s < n; s++) {
        int i = bml_sample__cell_of(t->x, t->n, x[s]);
        double h = t->x[i + 1] - t->x[i];
        double mass = t->c[i + 1] - t->c[i];
        double xi = h > 0 ? (x[s] - t->x[i]) / h : 0;
        double l = t->left[i];
        double r = t->right[i];
        double inside = xi >= 0 && xi <= 1 && h > 0;
        xi = xi > 0 ? (xi < 1 ? xi : 1) : 0;
        double product = xi * (1 - xi);
        double bottom = 1 + (l + r - 2) * product;
        if (cdf) cdf[s] = t->c[i] + mass * bml_sample__rational(xi, l, r);
        if (pdf)
            pdf[s] = !(inside > 0)
                         ? 0
                         : mass / h * (r * xi * xi + 2 * product + l * (1 - xi) * (1 - xi)) / (bottom * bottom);
    }
    return BML_SAMPLE_OK;
}

/* >> grids over parameters */

struct bml_sample_grid {
    bml_sample_grid_config config;
    double z_lower[BML_SAMPLE_MAX_Z], z_upper[BML_SAMPLE_MAX_Z];
    int z_nodes[BML_SAMPLE_MAX_Z];
    size_t rows; /* nodes of Z */
    double *x;   /* [rows][u_nodes] */
    double error;
    char message[BML_SAMPLE_MESSAGE];
};

/* v of u: x is smooth in v where the density ends with a step or with a slope. */
static double bml_sample__v_of(double u) {
    return 2 / BML_SAMPLE__PI * asin(sqrt(u));
}

static double bml_sample__u_of(double v) {
    double s = sin(0.5 * BML_SAMPLE__PI * v);
    return s * s;
}

/* The density at Z as a table. */
static int bml_sample__grid_row(bml_sample_table **table, bml_sample_grid *g, const double *z) {
    bml_sample_table_config c;
    memset(&c, 0, sizeof c);
    c.density = g->config.density;
    c.user = g->config.user;
    c.z = z;
    c.lower = g->config.lower;
    c.upper = g->config.upper;
    char why[BML_SAMPLE_MESSAGE];
    int status = bml_sample_table_create(table, &c, why);
    if (status) bml_sample__fail(g->message, status, "z = %.6g ...: %.400s", z[0], why);
    return status;
}

/* z[n_z] of row number `row`, moved by `shift` steps along each axis. */
static void bml_sample__grid_z(double *z, const bml_sample_grid *g, size_t row, double shift) {
    for (int k = g->config.n_z - 1; k >= 0; k--) {
        size_t nodes = (size_t)g->z_nodes[k];
        size_t i = row % nodes;
        double at = ((double)i + shift) / (double)(nodes - 1);
        z[k] = g->z_lower[k] + (at < 1 ? at : 1) * (g->z_upper[k] - g->z_lower[k]);
        row /= nodes;
    }
}

/* Multilinear between the 2^n_z rows around z and the two nodes around v. */
static double bml_sample__grid_at(const bml_sample_grid *g, double u, const double *z) {
    size_t row = 0;
    size_t step[BML_SAMPLE_MAX_Z];
    size_t stride = 1;
    double share[BML_SAMPLE_MAX_Z];
    double v = bml_sample__v_of(u) * (g->config.u_nodes - 1);
    double x = 0;
    int j = (int)v;
    if (j > g->config.u_nodes - 2) j = g->config.u_nodes - 2;
    v -= j;
    for (int k = g->config.n_z - 1; k >= 0; k--) {
        double at = (z[k] - g->z_lower[k]) / (g->z_upper[k] - g->z_lower[k]) * (g->z_nodes[k] - 1);
        int i = (int)at < g->z_nodes[k] - 1 ? (int)at : g->z_nodes[k] - 2;
        share[k] = at - i;
        row += (size_t)i * stride;
        step[k] = stride;
        stride *= (size_t)g->z_nodes[k];
    }
    for (int corner = 0; corner < 1 << g->config.n_z; corner++) {
        double weight = 1;
        size_t at = row;
        for (int k = 0; k < g->config.n_z; k++) {
            weight *= corner >> k & 1 ? share[k] : 1 - share[k];
            if (corner >> k & 1) at += step[k];
        }
        const double *p = g->x + at * (size_t)g->config.u_nodes + j;
        x += weight * (p[0] + v * (p[1] - p[0]));
    }
    return x;
}

static int bml_sample__grid_fill(bml_sample_grid *g) {
    double z[BML_SAMPLE_MAX_Z];
    int n_u = g->config.u_nodes;
    int status = BML_SAMPLE_OK;
    for (size_t row = 0; !status && row < g->rows; row++) {
        bml_sample__grid_z(z, g, row, 0);
        bml_sample_table *table;
        status = bml_sample__grid_row(&table, g, z);
        for (int j = 0; !status && j < n_u; j++)
            g->x[row * (size_t)n_u + (size_t)j] = bml_sample__table_at(table, bml_sample__u_of((double)j / (n_u - 1)));
        bml_sample_table_free(table);
    }
    return status;
}

/* In the middle of the cells, 4096 of them at most. */
static int bml_sample__grid_measure(bml_sample_grid *g) {
    double z[BML_SAMPLE_MAX_Z];
    size_t stride = g->rows / 4096 + 1;
    int n_u = g->config.u_nodes;
    int status = BML_SAMPLE_OK;
    for (size_t row = 0; !status && row < g->rows; row += stride) {
        bml_sample__grid_z(z, g, row, 0.5);
        bml_sample_table *table;
        status = bml_sample__grid_row(&table, g, z);
        for (int j = 0; !status && j < n_u - 1; j++) {
            double u = bml_sample__u_of((j + 0.5) / (n_u - 1));
            double x = bml_sample__grid_at(g, u, z);
            double c = 0;
            status = bml_sample_table_cdf(table, &c, NULL, &x, 1);
            if (!(fabs(c - u) <= g->error)) g->error = fabs(c - u);
        }
        bml_sample_table_free(table);
    }
    return status;
}

static int bml_sample__grid_arguments(bml_sample_grid *g) {
    const bml_sample_grid_config *c = &g->config;
    if (!c->density || !(c->lower < c->upper) || c->n_z < 1 || c->n_z > BML_SAMPLE_MAX_Z || !c->z_lower ||
        !c->z_upper || !c->z_nodes)
        return 0;
    if (c->u_nodes < 2 || c->u_nodes > 1 << 20) return 0;
    for (int k = 0; k < c->n_z; k++) {
        g->z_lower[k] = c->z_lower[k];
        g->z_upper[k] = c->z_upper[k];
        g->z_nodes[k] = c->z_nodes[k];
        if (!(c->z_lower[k] < c->z_upper[k] && c->z_upper[k] - c->z_lower[k] <= DBL_MAX) || c->z_nodes[k] < 2) return 0;
    }
    return 1;
}

static int bml_sample__grid_make(bml_sample_grid **grid, const bml_sample_grid_config *config) {
    bml_sample_grid *g;
    g = *grid = (bml_sample_grid *)bml_sample__alloc(1, sizeof *g, 1);
    if (!g) return BML_SAMPLE_NO_MEMORY;
    if (config) g->config = *config;
    if (!g->config.u_nodes) g->config.u_nodes = 257;
    if (!config || !bml_sample__grid_arguments(g))
        return bml_sample__fail(g->message, BML_SAMPLE_BAD_ARGUMENT,
                                "needs a density, ranges with lower < upper, two nodes or more");
    g->rows = 1;
    for (int k = 0; k < g->config.n_z; k++)
        if (!bml_sample__mul(&g->rows, g->rows, (size_t)g->z_nodes[k], 1)) return BML_SAMPLE_TOO_LARGE;
    size_t bytes;
    if (!bml_sample__mul(&bytes, g->rows, (size_t)g->config.u_nodes, sizeof(double))) return BML_SAMPLE_TOO_LARGE;
    g->x = bml_sample__doubles(g->rows, (size_t)g->config.u_nodes);
    if (!g->x) {
        BML_SAMPLE_FREE(g);
        *grid = NULL;
        return BML_SAMPLE_NO_MEMORY;
    }
    int status = bml_sample__grid_fill(g);
    if (!status) status = bml_sample__grid_measure(g);
    g->config.z_lower = g->config.z_upper = NULL;
    g->config.z_nodes = NULL; /* the caller's: copied above */
    if (status) {
        BML_SAMPLE_FREE(g->x);
        g->x = NULL;
    }
    if (status == BML_SAMPLE_NO_MEMORY) {
        BML_SAMPLE_FREE(g);
        *grid = NULL;
    }
    return status;
}

BML_SAMPLE_DEF int bml_sample_grid_create(bml_sample_grid **grid, const bml_sample_grid_config *config, char *why) {
    if (!grid) return bml_sample__say(why, BML_SAMPLE_BAD_ARGUMENT, "");
    int status = bml_sample__grid_make(grid, config);
    bml_sample__say(why, status, *grid ? (*grid)->message : "");
    if (status) {
        bml_sample_grid_free(*grid);
        *grid = NULL;
    }
    return status;
}

BML_SAMPLE_DEF void bml_sample_grid_free(bml_sample_grid *grid) {
    if (!grid) return;
    BML_SAMPLE_FREE(grid->x);
    BML_SAMPLE_FREE(grid);
}

BML_SAMPLE_DEF const char *bml_sample_grid_message(const bml_sample_grid *grid) {
    return grid ? grid->message : "";
}
BML_SAMPLE_DEF double bml_sample_grid_error(const bml_sample_grid *grid) {
    return grid && grid->x ? grid->error : BML_SAMPLE__NAN;
}

BML_SAMPLE_DEF int bml_sample_grid_draw(const bml_sample_grid *g, double *x, const double *z, const double *u, size_t n,
                                        bml_sample_rng *rng) {
    double room[BML_SAMPLE__CHUNK];
    if (!g || !g->x || !x || !z || (!u && !rng) || (u && !bml_sample__all_in_unit(u, n)))
        return BML_SAMPLE_BAD_ARGUMENT;
    int n_z = g->config.n_z;
    size_t count;
    if (!bml_sample__mul(&count, n, (size_t)n_z, sizeof(double))) return BML_SAMPLE_TOO_LARGE;
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < n_z; k++)
            if (!(z[i * (size_t)n_z + (size_t)k] >= g->z_lower[k] && z[i * (size_t)n_z + (size_t)k] <= g->z_upper[k]))
                return BML_SAMPLE_BAD_ARGUMENT;
    size_t m;
    for (size_t done = 0; done < n; done += m) {
        m = bml_sample__part(n - done);
        const double *uu = bml_sample__take(room, u, done, m, rng);
        for (size_t i = 0; i < m; i++)
            x[done + i] = bml_sample__grid_at(g, uu[i], z + (done + i) * (size_t)n_z);
    }
    return BML_SAMPLE_OK;
}

/* >> alias tables */

struct bml_sample_alias {
    size_t n;
    double *share;   /* [n] probability to stay in the column */
    uint32_t *other; /* [n] where to go else */
};

/* Pairs columns that are too low with columns that are too high. */
static void bml_sample__pair(bml_sample_alias *a, uint32_t *low, uint32_t *high) {
    size_t n_low = 0;
    size_t n_high = 0;
    for (size_t i = 0; i < a->n; i++) {
        if (a->share[i] < 1)
            low[n_low++] = (uint32_t)i;
        else
            high[n_high++] = (uint32_t)i;
    }
    while (n_low && n_high) {
        uint32_t small = low[--n_low];
        uint32_t large = high[n_high - 1];
        a->other[small] = large;
        a->share[large] -= 1 - a->share[small];
        if (a->share[large] < 1) {
            n_high--;
            low[n_low++] = large;
        }
    }
    while (n_high)
        a->share[high[--n_high]] = 1;
    while (n_low)
        a->share[low[--n_low]] = 1; /* rounding alone leaves one here */
}

static int bml_sample__alias_make(bml_sample_alias **alias, const double *weights, size_t n) {
    double largest = 0;
    double sum = 0;
    if (!alias) return BML_SAMPLE_BAD_ARGUMENT;
    *alias = NULL;
    if (!weights || n < 1) return BML_SAMPLE_BAD_ARGUMENT;
    if (n > 0xFFFFFFFFu) return BML_SAMPLE_TOO_LARGE;
    for (size_t i = 0; i < n; i++) {
        if (!(weights[i] >= 0 && weights[i] <= DBL_MAX)) return BML_SAMPLE_BAD_DENSITY;
        if (weights[i] > largest) largest = weights[i];
    }
    if (!(largest > 0)) return BML_SAMPLE_ZERO_DENSITY;
    for (size_t i = 0; i < n; i++)
        sum += weights[i] / largest;
    bml_sample_alias *a;
    a = (bml_sample_alias *)bml_sample__alloc(1, sizeof *a, 1);
    if (!a) return BML_SAMPLE_NO_MEMORY;
    a->n = n;
    a->share = bml_sample__doubles(n, 1);
    a->other = (uint32_t *)bml_sample__alloc(n, sizeof(uint32_t), 1);
    uint32_t *stack = (uint32_t *)bml_sample__alloc(n, sizeof(uint32_t), 2);
    if (a->share && a->other && stack) {
        for (size_t i = 0; i < n; i++)
            a->share[i] = weights[i] / largest * ((double)n / sum);
        for (size_t i = 0; i < n; i++)
            a->other[i] = (uint32_t)i;
        bml_sample__pair(a, stack, stack + n);
        *alias = a;
    } else
        bml_sample_alias_free(a);
    BML_SAMPLE_FREE(stack);
    return *alias ? BML_SAMPLE_OK : BML_SAMPLE_NO_MEMORY;
}

BML_SAMPLE_DEF int bml_sample_alias_create(bml_sample_alias **alias, const double *weights, size_t n, char *why) {
    return bml_sample__say(why, bml_sample__alias_make(alias, weights, n), "");
}

BML_SAMPLE_DEF void bml_sample_alias_free(bml_sample_alias *alias) {
    if (!alias) return;
    BML_SAMPLE_FREE(alias->share);
    BML_SAMPLE_FREE(alias->other);
    BML_SAMPLE_FREE(alias);
}

BML_SAMPLE_DEF int bml_sample_alias_draw(const bml_sample_alias *alias, uint32_t *index, size_t n,
                                         bml_sample_rng *rng) {
    double u[BML_SAMPLE__CHUNK];
    if (!alias || !index || !rng) return BML_SAMPLE_BAD_ARGUMENT;
    size_t m;
    for (size_t done = 0; done < n; done += m) {
        m = bml_sample__part(n - done);
        bml_sample_rng_fill(u, m, rng);
        for (size_t i = 0; i < m; i++) {
            double at = u[i] * (double)alias->n;
            uint32_t k = (uint32_t)(at < (double)(alias->n - 1) ? at : (double)(alias->n - 1));
            index[done + i] = at - k < alias->share[k] ? k : alias->other[k];
        }
    }
    return BML_SAMPLE_OK;
}

/* >> reference methods */

enum { BML_SAMPLE__PROPOSALS = 64 }; /* per call of the density */

static int bml_sample__densities(double *p, const double *x, int n, const bml_sample_ratio *how) {
    how->density(p, x, how->z, n, how->user);
    for (int i = 0; i < n; i++)
        if (!(p[i] >= 0 && p[i] <= DBL_MAX)) return BML_SAMPLE_BAD_DENSITY;
    return BML_SAMPLE_OK;
}

BML_SAMPLE_DEF int bml_sample_reject(double *x, size_t n, const bml_sample_rejection *how, bml_sample_rng *rng) {
    double try_x[BML_SAMPLE__PROPOSALS];
    double u[2 * BML_SAMPLE__PROPOSALS];
    double p[BML_SAMPLE__PROPOSALS];
    size_t done = 0;
    double misses = 0;
    int status = BML_SAMPLE_OK;
    if (!x || !how || !rng || !how->density || !(how->lower < how->upper && how->upper - how->lower <= DBL_MAX) ||
        !(how->bound > 0 && how->bound <= DBL_MAX))
        return BML_SAMPLE_BAD_ARGUMENT;
    bml_sample_ratio call;
    memset(&call, 0, sizeof call);
    call.density = how->density;
    call.user = how->user;
    call.z = how->z;
    while (!status && done < n) {
        bml_sample_rng_fill(u, 2 * BML_SAMPLE__PROPOSALS, rng);
        for (int i = 0; i < BML_SAMPLE__PROPOSALS; i++)
            try_x[i] = how->lower + (how->upper - how->lower) * u[i];
        status = bml_sample__densities(p, try_x, BML_SAMPLE__PROPOSALS, &call);
        misses += (double)BML_SAMPLE__PROPOSALS;
        for (int i = 0; !status && i < BML_SAMPLE__PROPOSALS && done < n; i++) {
            if (p[i] > how->bound) status = BML_SAMPLE_BAD_ENVELOPE;
            if (how->bound * u[BML_SAMPLE__PROPOSALS + i] < p[i]) {
                x[done++] = try_x[i];
                misses = 0;
            }
        }
        if (!status && misses > 1e7) status = BML_SAMPLE_NOT_CONVERGED;
    }
    return status;
}

BML_SAMPLE_DEF int bml_sample_ratio_of_uniforms(double *x, size_t n, const bml_sample_ratio *how, bml_sample_rng *rng) {
    double try_x[BML_SAMPLE__PROPOSALS];
    double u[2 * BML_SAMPLE__PROPOSALS];
    double p[BML_SAMPLE__PROPOSALS];
    double misses = 0;
    size_t done = 0;
    int status = BML_SAMPLE_OK;
    if (!x || !how || !rng || !how->density || !(how->s_max > 0 && how->s_max <= DBL_MAX) ||
        !(how->v_min < how->v_max) || !(how->v_max - how->v_min <= DBL_MAX))
        return BML_SAMPLE_BAD_ARGUMENT;
    while (!status && done < n) {
        bml_sample_rng_fill(u, 2 * BML_SAMPLE__PROPOSALS, rng);
        for (int i = 0; i < BML_SAMPLE__PROPOSALS; i++)
            try_x[i] = (how->v_min + (how->v_max - how->v_min) * u[BML_SAMPLE__PROPOSALS + i]) / (how->s_max * u[i]);
        status = bml_sample__densities(p, try_x, BML_SAMPLE__PROPOSALS, how);
        misses += (double)BML_SAMPLE__PROPOSALS;
        for (int i = 0; !status && i < BML_SAMPLE__PROPOSALS && done < n; i++) {
            double s = how->s_max * u[i];
            double root = sqrt(p[i]);
            double v = try_x[i] * root;
            double slack = 1e-12 * (how->v_max - how->v_min);
            if (root > how->s_max * (1 + 1e-12) || v > how->v_max + slack || v < how->v_min - slack)
                status = BML_SAMPLE_BAD_ENVELOPE;
            if (s < root) {
                x[done++] = try_x[i];
                misses = 0;
            }
        }
        if (!status && misses > 1e7) status = BML_SAMPLE_NOT_CONVERGED;
    }
    return status;
}

/* >> how good is a sampler? */

/* Jensen-Shannon divergence of a from b, each summing to 1. */
static double bml_sample__js(const double *a, const double *b, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) { /* with d = (a-b)/(a+b), each term is (a+b)/4 [(1+d) ln(1+d) + (1-d) ln(1-d)] */
        double both = a[i] + b[i];
        double d = both > 0 ? (a[i] - b[i]) / both : 0;
        double s = d * d;
        if (s < 1e-4)
            sum += 0.25 * both * s * (1 + s * (1.0 / 6 + s / 15));
        else
            sum += 0.25 * both * (s < 1 ? (1 + d) * log1p(d) + (1 - d) * log1p(-d) : 2 * log(2.0));
    }
    return sum;
}

BML_SAMPLE_DEF int bml_sample_histogram(bml_sample_divergence *out, const double *counts, const double *prob,
                                        int bins) {
    double total = 0;
    double sum = 0;
    if (!out || !counts || !prob || bins < 2) return BML_SAMPLE_BAD_ARGUMENT;
    for (int i = 0; i < bins; i++) {
        if (!(counts[i] >= 0 && counts[i] <= DBL_MAX) || !(prob[i] >= 0 && prob[i] <= 1))
            return BML_SAMPLE_BAD_ARGUMENT;
        total += counts[i];
        sum += prob[i];
    }
    if (!(total > 0 && total <= DBL_MAX) || !(fabs(sum - 1) <= 1e-6)) return BML_SAMPLE_BAD_ARGUMENT;
    double *share = bml_sample__doubles((size_t)bins, 1);
    if (!share) return BML_SAMPLE_NO_MEMORY;
    for (int i = 0; i < bins; i++)
        share[i] = counts[i] / total;
    out->js = bml_sample__js(share, prob, bins);
    out->noise = (bins - 1) / (8 * total);
    out->noise_sd = sqrt(2.0 * (bins - 1)) / (8 * total);
    BML_SAMPLE_FREE(share);
    return BML_SAMPLE_OK;
}

/* c[n], ascending, at u = (i + 1/2)/n, ends (0,0) and (1,1): the shares of u in bins of equal c, each over the uniform
   one. */
static double bml_sample__implied(const double *c, double *work, int n, int bins) {
    double *share = work;
    double *even = work + bins;
    double before = 0;
    double *edge = even + bins;
    int i = 0;
    for (int k = 0; k <= bins; k++) {
        double want = (double)k / bins;
        while (i < n && c[i] < want)
            i++;
        double c0 = i ? c[i - 1] : 0;
        double u0 = i ? (i - 0.5) / n : 0;
        double c1 = i < n ? c[i] : 1;
        double u1 = i < n ? (i + 0.5) / n : 1;
        edge[k] = k == 0 ? 0 : k == bins ? 1 : c1 > c0 ? u0 + (u1 - u0) * (want - c0) / (c1 - c0) : u1;
        if (k) {
            share[k - 1] = edge[k] - before;
            even[k - 1] = 1.0 / bins;
        }
        before = edge[k];
    }
    return bml_sample__js(share, even, bins);
}

BML_SAMPLE_DEF int bml_sample_check_inverse(bml_sample_quality *quality, const bml_sample_check *check) {
    double sum = 0;
    if (!quality || !check || !check->inverse || !check->cdf || check->n < 0 || check->bins < 0)
        return BML_SAMPLE_BAD_ARGUMENT;
    int n = check->n ? check->n : 100000;
    int bins = check->bins ? check->bins : 200;
    if (n < 2 || bins < 2 || bins > 1 << 24) return BML_SAMPLE_BAD_ARGUMENT;
    double *u = bml_sample__doubles((size_t)n, 3);
    double *x = bml_sample__doubles(3 * (size_t)bins + 1, 1);
    memset(quality, 0, sizeof *quality);
    if (!u || !x) {
        BML_SAMPLE_FREE(u);
        BML_SAMPLE_FREE(x);
        return BML_SAMPLE_NO_MEMORY;
    }
    double *c = u + 2 * n;
    for (int i = 0; i < n; i++)
        u[i] = (i + 0.5) / n;
    check->inverse(u + n, u, n, check->user);
    check->cdf(c, u + n, n, check->user);
    for (int i = 0; i < n; i++) {
        double error = fabs(c[i] - u[i]);
        if (!(error <= quality->max_error)) quality->max_error = error;
        sum += error;
        if (i && !(u[n + i] >= u[n + i - 1])) quality->falls++;
    }
    quality->mean_error = sum / n;
    bml_sample__sort(c, (size_t)n);
    quality->js = bml_sample__implied(c, x, n, bins);
    BML_SAMPLE_FREE(u);
    BML_SAMPLE_FREE(x);
    return BML_SAMPLE_OK;
}

/* >> Compton: closed forms
   With z = b q, w = 1 + z, E = z/w, l = ln w = -ln(1-E), f(q) dE integrates term by term to
     G = (l + E - E^2/2)/2 + (1/b) [2 (ln q A2 - D) + A2 - M4/2] - 2 M3/b^2,
   and the same weighted with 1 - E and with E to
     K = E - E^2/2 + E^3/6 + (1/b) [E^2 ln q - A2 + E^2/2 - A4/2] - 2 A3/b^2,
     J = E^2/2 + A4/2 + (1/b) [2 (ln q A3 - D + A2/2) + A3 - M5/2] - 2 M4/b^2,
   where A2 = l - E, A3 = A2 - E^2/2, A4 = A3 - E^3/3, D = -Li2(-z) - l, M3 = z - 2l + E, M4 = z - 3l + 2E + E^2/2,
   M5 = z - 4l + 3E + E^2 + E^3/3. For small E these cancel, and are summed as powers of E: A_k = sum_{n>=k} E^n/n,
   M_k = sum_{n>=k} (1 - (k-1)/n) E^n. K and J are never the difference of two others: each is precise where it is
   small. The dilogarithm: -Li2(1 - e^l) = int_0^l x/(1 - e^-x) dx by Bernoulli numbers for l <= ln 2, and the
   inversion formula. */

/* -Li2(1 - e^l) - l for 0 <= l <= ln 2; the sum of l^2/4 and B_2k l^(2k+1)/(2k+1)!. */
static double bml_sample__dilog(double l) {
    double s = l * l;
    return s * (1.0 / 4 +
                l * (1.0 / 36 +
                     s * (-1.0 / 3600 +
                          s * (1.0 / 211680 + s * (-1.0 / 10886400 +
                                                   s * (1.0 / 526901760 + s * (-4.0647616451442255e-11 +
                                                                               s * (8.9216910204564526e-13 +
                                                                                    s * -1.9939295860721076e-14))))))));
}

typedef struct bml_sample__parts {
    double z, E, q, ln_q, A2, A3, A4, M3, M4, M5, D;
} bml_sample__parts;

/* 1/n */
static const double bml_sample__over[29] = {
    0,        1,        1.0 / 2,  1.0 / 3,  1.0 / 4,  1.0 / 5,  1.0 / 6,  1.0 / 7,  1.0 / 8,  1.0 / 9,
    1.0 / 10, 1.0 / 11, 1.0 / 12, 1.0 / 13, 1.0 / 14, 1.0 / 15, 1.0 / 16, 1.0 / 17, 1.0 / 18, 1.0 / 19,
    1.0 / 20, 1.0 / 21, 1.0 / 22, 1.0 / 23, 1.0 / 24, 1.0 / 25, 1.0 / 26, 1.0 / 27, 1.0 / 28};

static void bml_sample__split_parts(bml_sample__parts *p, double l, double b, double ln_b) {
    double z = expm1(l);
    double E = z / (1 + z);
    double q = z / b < 1 ? z / b : 1;
    double ln_q = log(q);
    double E2 = E * E;
    if (E < 0.25) {
        double a2 = 0;
        double a3 = 0;
        double m3 = 0;
        double m4 = 0;
        double m5 = 0;
        int n = E < 1e-3 ? 8 : E < 0.03 ? 13 : E < 0.1 ? 19 : 28; /* E^(n-4) < 1e-15 */
        for (; n >= 5; n--) {
            double r = bml_sample__over[n];
            a3 = a3 * E + r;
            m3 = m3 * E + (1 - 2 * r);
            m4 = m4 * E + (1 - 3 * r);
            m5 = m5 * E + (1 - 4 * r);
        }
        p->A4 = E2 * E2 * (0.25 + E * a3);
        p->M5 = E2 * E2 * E * m5;
        a3 = 1.0 / 3 + E * (0.25 + E * a3);
        a2 = 0.5 + E * a3;
        m4 = 0.25 + E * m4;
        m3 = 1.0 / 3 + E * (0.5 + E * m3);
        p->A2 = E2 * a2;
        p->A3 = E2 * E * a3;
        p->M3 = E2 * E * m3;
        p->M4 = E2 * E2 * m4;
    } else {
        p->A2 = l - E;
        p->A3 = p->A2 - 0.5 * E2;
        p->A4 = p->A3 - E2 * E / 3;
        p->M3 = z - 2 * l + E;
        p->M4 = z - 3 * l + 2 * E + 0.5 * E2;
        p->M5 = z - 4 * l + 3 * E + E2 + E2 * E / 3;
    }
    if (z <= 1)
        p->D = bml_sample__dilog(l);
    else {
        double ln_z = ln_q + ln_b;
        double rest = l - ln_z; /* ln(1 + 1/z) */
        p->D = BML_SAMPLE__PI * BML_SAMPLE__PI / 6 + 0.5 * ln_z * ln_z - (bml_sample__dilog(rest) + rest) - l;
    }
    p->z = z;
    p->E = E;
    p->q = q;
    p->ln_q = ln_q;
}

static double bml_sample__G_of(const bml_sample__parts *p, double l, double b) {
    return 0.5 * (l + p->E - 0.5 * p->E * p->E) + (2 * (p->ln_q * p->A2 - p->D) + p->A2 - 0.5 * p->M4) / b -
           2 * p->M3 / b / b;
}

/* int f dE from 0 to l. */
static double bml_sample__G(double l, double b, double ln_b) {
    bml_sample__parts p;
    bml_sample__split_parts(&p, l, b, ln_b);
    return bml_sample__G_of(&p, l, b);
}

/* A2/2 - D for small l, where the terms l^2/4 of both cancel: A2 = l - 1 + e^-l. */
static double bml_sample__third_order(double l) {
    double s = l * l;
    double sum = 0;
    for (int n = 14; n >= 3; n--)
        sum = (1 - l * sum) / n; /* l^3/3! - l^4/4! + ... = (l^2/2) l sum */
    return -l * s *
           (0.25 * sum + 1.0 / 36 + s * (-1.0 / 3600 + s * (1.0 / 211680 + s * (-1.0 / 10886400 + s / 526901760))));
}

/* sums[3] = G, int f (1-E) dE, int f E dE from 0 to l. */
static void bml_sample__sums(double *sums, double l, double b) {
    bml_sample__parts p;
    bml_sample__split_parts(&p, l, b, log(b));
    double E2 = p.E * p.E;
    double D3 = p.E < 0.25 ? bml_sample__third_order(l) : 0.5 * p.A2 - p.D;
    sums[0] = bml_sample__G_of(&p, l, b);
    sums[1] = p.E - 0.5 * E2 + E2 * p.E / 6 + (E2 * p.ln_q - p.A2 + 0.5 * E2 - 0.5 * p.A4) / b - 2 * p.A3 / b / b;
    sums[2] = 0.5 * (E2 + p.A4) + (2 * (p.ln_q * p.A3 + D3) + p.A3 - 0.5 * p.M5) / b - 2 * p.M4 / b / b;
}

/* f(q) with p = 1 - q given too, precise also where p is small. */
static double bml_sample__kernel(double q, double p, double z) {
    double ln_q = p < 0.5 ? log1p(-p) : log(q);
    return 2 * q * ln_q + (1 + 2 * q) * p + z * z * p / (2 * (1 + z));
}

/* int f dE from q to 1, by quadrature in 1 - q: precise where little is left. q >= 0.4. */
static double bml_sample__above(double p, double b) {
    double x[16];
    double y[16];
    bml_sample__gl_points(x, 0, p);
    for (int i = 0; i < 16; i++) {
        double z = b * (1 - x[i]);
        double w = 1 + z;
        y[i] = bml_sample__kernel(1 - x[i], x[i], z) * b / (w * w);
    }
    return bml_sample__gl_sum(y, 0, p);
}

/* One electron and one photon energy, prepared for inversion. */
typedef struct bml_sample__pair_of {
    double b, ln_b, L, total, u_min, l_min, p_min; /* p_min = 1 - q(eps0) */
    double left;                                   /* int f dE from eps0 on, where edge */
    int edge;                                      /* only the last part of the spectrum is left: q > 0.4 at eps0 */
} bml_sample__pair_of;

static void bml_sample__prepare_pair(bml_sample__pair_of *s, double gamma, double eps0) {
    double room = gamma - eps0;
    double E = eps0 / gamma;
    s->b = 4 * gamma * eps0;
    s->ln_b = log(s->b);
    s->L = log1p(s->b);
    s->total = bml_sample__G(s->L, s->b, s->ln_b);
    s->l_min = log1p(eps0 / room);
    s->p_min = (4 * gamma * room - 1) / (4 * gamma * room);
    if (!(s->p_min > 1e-16)) s->p_min = 1e-16; /* rounding */
    s->edge = s->p_min < 0.6;
    s->left = s->edge ? bml_sample__above(s->p_min, s->b) : 0;
    if (s->edge)
        s->u_min = 1 - s->left / s->total;
    else
        s->u_min = E < 1e-16 * s->total ? E / s->total : bml_sample__G(s->l_min, s->b, s->ln_b) / s->total;
}

/* The conditional CDF at l, its complement, and its derivative with respect to l. */
static double bml_sample__conditional(double *above, double *slope, double l, const bml_sample__pair_of *s) {
    double z;
    double whole = s->total;
    if (s->edge) {
        z = expm1(l);
        double p = (s->b - z) / s->b; /* p > 0 as l < L */
        p = p > 0 ? p : 0;
        *above = bml_sample__above(p, s->b) / s->left;
        *slope = bml_sample__kernel(1 - p, p, z) / ((1 + z) * s->left);
        return 1 - *above;
    } else {
        bml_sample__parts parts;
        bml_sample__split_parts(&parts, l, s->b, s->ln_b);
        double c = bml_sample__G_of(&parts, l, s->b) / whole;
        z = parts.z;
        *slope =
            (2 * parts.q * parts.ln_q + (1 + 2 * parts.q) * (1 - parts.q) + z * z * (1 - parts.q) / (2 * (1 + z))) /
            ((1 + z) * whole * (1 - s->u_min));
        c = (c - s->u_min) / (1 - s->u_min);
        *above = 1 - c;
        return c;
    }
}

/* l at u by Newton steps from a first guess: on the CDF in its lower half, on the root of its complement, which is
   nearly straight, in its upper half; halving the bracket where a step leaves it. */
static double bml_sample__invert(double u, double l, const bml_sample__pair_of *s) {
    double lo = s->l_min;
    double hi = s->L;
    if (u <= 0) return lo;
    if (u >= 1) return hi;
    if (!(l > lo && l < hi)) l = 0.5 * (lo + hi);
    for (int i = 0; i < 60; i++) {
        double above;
        double slope;
        double c = bml_sample__conditional(&above, &slope, l, s);
        double error = u < 0.5 ? c - u : (1 - u) - above;
        double lower = u < 0.5 ? u : 1 - u;
        double noise = s->edge || u < 0.5 ? 0 : 2e-16;
        int last = fabs(error) <= 1e-8 * lower; /* the next error is about the square of this one */
        if (fabs(error) <= 1e-14 * lower + noise) break;
        if (error > 0)
            hi = l;
        else
            lo = l;
        double step;
        if (u < 0.5)
            step = -error / slope;
        else
            step = 2 * sqrt(above) * (sqrt(above > 0 ? above : 0) - sqrt(1 - u)) / slope;
        if (l + step > lo && l + step < hi)
            l += step;
        else if (!last)
            l = 0.5 * (lo + hi);
        if (last || !(hi - lo > 2e-16 * hi)) break;
    }
    return l;
}

BML_SAMPLE_DEF int bml_sample_compton_rates(bml_sample_rates *rates, double b) {
    double sums[3];
    if (!rates || !(b > 0 && b <= 1e100)) return BML_SAMPLE_BAD_ARGUMENT;
    if (b < 1e-100) {
        sums[0] = b / 3;
        sums[1] = b / 3;
        sums[2] = b * (b / 9);
    } else
        bml_sample__sums(sums, log1p(b), b);
    rates->rate = 3 * (sums[0] / b);
    rates->loss = 3 * (sums[2] / b);
    rates->mean_energy = sums[2] / sums[0];
    rates->mean_rest = sums[1] / sums[0];
    return BML_SAMPLE_OK;
}

static int bml_sample__in_domain(double gamma, double eps0) {
    return gamma >= 1 && gamma <= 1.0000001e11 && eps0 >= 0.9999999e-13 && eps0 <= 1e2 && /* 1e11f, 1e-13f are in */
           gamma - eps0 > 0.25 / gamma;
}

BML_SAMPLE_DEF int bml_sample_compton_cdf(double *cdf, double eps, double gamma, double eps0) {
    double rest = 1 - eps / gamma;
    if (!cdf || eps != eps) return BML_SAMPLE_BAD_ARGUMENT;
    if (!bml_sample__in_domain(gamma, eps0)) return BML_SAMPLE_OUT_OF_DOMAIN;
    bml_sample__pair_of s;
    bml_sample__prepare_pair(&s, gamma, eps0);
    double above;
    double slope;
    if (eps <= eps0)
        *cdf = 0;
    else if (!(rest > 0) || -log1p(-eps / gamma) >= s.L)
        *cdf = 1;
    else
        *cdf = bml_sample__conditional(&above, &slope, -log1p(-eps / gamma), &s);
    return BML_SAMPLE_OK;
}

BML_SAMPLE_DEF int bml_sample_compton_pdf(double *pdf, double eps, double gamma, double eps0) {
    double rest = 1 - eps / gamma;
    if (!pdf || eps != eps) return BML_SAMPLE_BAD_ARGUMENT;
    if (!bml_sample__in_domain(gamma, eps0)) return BML_SAMPLE_OUT_OF_DOMAIN;
    bml_sample__pair_of s;
    bml_sample__prepare_pair(&s, gamma, eps0);
    *pdf = 0;
    if (eps < eps0 || !(rest > 0) || -log1p(-eps / gamma) >= s.L) return BML_SAMPLE_OK;
    double above;
    double slope;
    bml_sample__conditional(&above, &slope, -log1p(-eps / gamma), &s);
    *pdf = slope / (rest * gamma); /* dl/deps = 1/(gamma (1-E)) */
    return BML_SAMPLE_OK;
}

/* >> float functions
   Polynomials and rational functions fitted here (weighted least squares, reweighted towards equal ripples), without
   branches, so that loops over them run in vector registers. Errors in the tests. */

/* log x of a positive normal x, to 1 ulp of the result: x = 2^k m, m in [sqrt(1/2), sqrt(2)]. */
static inline float bml_sample__logf(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t k = (bits - 0x3F3504F3u + 0x3F800000u) >> 23; /* exponent + 127 */
    bits -= (k << 23) - 0x3F800000u;
    float m;
    memcpy(&m, &bits, sizeof m);
    float r = m - 1;
    float p =
        0.333339107f +
        r * (-0.250013370f +
             r * (0.199630638f + r * (-0.165775847f + r * (0.149147679f + r * (-0.142674870f + r * 0.0870043592f)))));
    return (float)((int32_t)k - 127) * 0.693147181f + (r + r * r * (r * p - 0.5f));
}

/* log(1 + x), x >= 0, with relative precision also where x is small. */
static inline float bml_sample__log1pf(float x) {
    float w = 1 + x;
    float lost = x - (w - 1); /* what rounding 1 + x has lost counts only where x < 1/2 */
    return bml_sample__logf(w) + (x < 0.5f ? lost * (1 - x * (1 - x)) : 0);
}

/* exp(-x) and 1 - exp(-x), 0 <= x <= 80, both with relative precision. */
static inline float bml_sample__expf(float *one_minus, float x) {
    int32_t k = (int32_t)(x * 1.44269504f + 0.5f);
    uint32_t bits = (uint32_t)(127 - k) << 23;
    float r = ((float)k * 0.693359375f - x) - (float)k * 2.12194440e-4f;
    float scale;

    memcpy(&scale, &bits, sizeof scale);
    float p = r + r * r *
                      (0.499999980f +
                       r * (0.166665387f +
                            r * (0.0416672213f + r * (0.00836718086f + r * 0.00138823958f)))); /* ln 2 in two parts */
    *one_minus = (1 - scale) - scale * p;
    return scale + scale * p;
}

/* tanh to 2e-6: numerator and denominator. */
static inline float bml_sample__tanh_parts(float *below, float x) {
    x = x > 7.5f ? 7.5f : x;
    x = x < -7.5f ? -7.5f : x;
    float s = x * x;
    *below = 1 + s * (0.455668737f + s * (0.0207978224f + s * 1.36103200e-4f));
    return x * (0.999992914f + s * (0.122358796f + s * (0.00221871042f + s * 3.66293559e-6f)));
}

static inline float bml_sample__tanhf(float x) {
    float below;
    float above = bml_sample__tanh_parts(&below, x);
    return above / below;
}

/* >> Compton: network and table */

/* The 2-8-8-1 network N(t, s): kernels [out][in], then biases, layer after layer. Made by `make train-compton`. */
static const float bml_sample__weights[105] = {
    4.34578001e+00f,  1.56623111e+00f,  1.48637817e+00f,  -1.11570082e+00f, 4.16698836e+00f,  3.72500061e+00f,
    -5.58897542e-01f, 4.32924893e+00f,  -4.99762742e+00f, -5.33102130e+00f, 2.24681829e+00f,  2.34971015e-01f,
    -2.62784592e-01f, -1.22664789e+00f, 7.41906915e-02f,  3.74374202e+00f,  -1.88288205e+00f, 3.31876816e-01f,
    -2.86879886e+00f, -3.76896573e+00f, 4.97155940e+00f,  1.09066964e-01f,  5.20968775e-01f,  -1.90665865e+00f,
    -1.22385739e+00f, -2.43010638e+00f, -1.48795192e+00f, -1.07308746e+00f, -8.84705777e-02f, 6.18016568e+00f,
    -2.00356815e+00f, -2.89847475e+00f, 1.29454515e-01f,  1.90861240e+00f,  -2.41842091e-01f, 1.85821357e-02f,
    2.69343210e-01f,  -2.30938748e+00f, 1.32270880e+00f,  6.45561255e-01f,  -1.42101197e-01f, 1.84416846e+00f,
    -1.53594207e-01f, -6.16959243e-02f, 8.07081610e-01f,  -2.00903068e+00f, 5.95454472e-01f,  1.10394906e+00f,
    -5.49591762e+01f, 1.12145273e+01f,  2.33979510e+01f,  -2.00141635e+01f, -1.68381985e+01f, -7.31876926e+00f,
    -2.08374311e+01f, -2.33136928e+00f, -1.01074390e-01f, -1.66790750e+00f, -1.48251370e-01f, -4.80391389e-01f,
    -1.50671895e-01f, -1.03255039e+00f, -2.68847556e+00f, -1.15293155e+00f, -5.22144342e-01f, 3.08908251e+00f,
    -3.08758141e-01f, 5.05489106e-01f,  1.09598473e+00f,  -2.32434619e+00f, -6.90815734e-01f, 9.21561459e-01f,
    -2.63191317e-01f, -4.03446825e-01f, -4.86888020e-01f, -8.70050122e-02f, 3.44086002e-01f,  9.64209420e-01f,
    -3.06748856e+00f, -1.08489044e-01f, 5.99114229e-01f,  -3.26651111e+00f, 3.35531624e-01f,  -2.35414162e+00f,
    -2.56108274e+00f, 3.42577531e+00f,  4.38203632e+00f,  1.90705510e-01f,  -6.63436864e-01f, 1.66790439e+00f,
    -5.00213927e-02f, -2.96143933e+01f, 1.71218178e+00f,  6.20035847e-01f,  -4.08714921e-01f, -2.90408429e-02f,
    -3.04549206e-01f, -5.49658746e-01f, 5.59251508e-01f,  -5.07068939e-01f, -4.43722473e-01f, -2.50103278e-01f,
    2.19800687e-01f,  3.34424483e-01f,  3.98731307e-01f};

/* What a chunk of photons goes through, array after array. */
typedef struct bml_sample__chunk {
    float gamma[BML_SAMPLE__CHUNK], eps0[BML_SAMPLE__CHUNK];
    float L[BML_SAMPLE__CHUNK], s[BML_SAMPLE__CHUNK];      /* ln(1+b), L/(L+4) */
    float low[BML_SAMPLE__CHUNK], high[BML_SAMPLE__CHUNK]; /* u_min, 1 - u_min */
    float u[BML_SAMPLE__CHUNK], v[BML_SAMPLE__CHUNK];      /* u and 1-u, each with relative precision */
    float t[BML_SAMPLE__CHUNK], r[BML_SAMPLE__CHUNK];      /* t, 1-t */
    float n[BML_SAMPLE__CHUNK];                            /* N(t, s) */
    float q[BML_SAMPLE__CHUNK];                            /* q(eps0) */
    int edge;                                              /* some have q(eps0) > 0.26 */
} bml_sample__chunk;

/* Quantities at eps0, for G there: E, 1/E, z, 1/z, q, l, ln q; clamped where E < 1e-6 or q < 1e-9, far below what
   matters. */
typedef struct bml_sample__start {
    float E[BML_SAMPLE__CHUNK], one_E[BML_SAMPLE__CHUNK], z[BML_SAMPLE__CHUNK], one_z[BML_SAMPLE__CHUNK];
    float q[BML_SAMPLE__CHUNK], l[BML_SAMPLE__CHUNK], ln_q[BML_SAMPLE__CHUNK];
} bml_sample__start;

static void bml_sample__start_points(bml_sample__start *BML_SAMPLE_RESTRICT p, bml_sample__chunk *BML_SAMPLE_RESTRICT c,
                                     int m) {
    for (int i = 0; i < m; i++) {
        float g = c->gamma[i];
        float e = c->eps0[i];
        float d = g - e;
        float one = 1 / (g * d * e);
        float E = e * e * d * one;
        float z = e * e * g * one;
        float q = 0.25f * e * one;
        float one_E = g * g * d * one;
        float one_z = d * d * g * one;
        c->low[i] = E;
        c->q[i] = E < 0.9f ? q : 1;
        p->E[i] = E > 1e-6f ? E : 1e-6f;
        p->z[i] = z > 1e-6f ? z : 1e-6f;
        p->q[i] = q > 1e-9f ? q : 1e-9f;
        p->one_E[i] = one_E < 1e6f ? one_E : 1e6f;
        p->one_z[i] = one_z < 1e6f ? one_z : 1e6f;
    }
    for (int i = 0; i < m; i++)
        p->l[i] = bml_sample__log1pf(p->z[i]);
    for (int i = 0; i < m; i++)
        p->ln_q[i] = bml_sample__logf(p->q[i]);
}

/* low, which holds E, becomes G(eps0): closed forms for E >= 1/8, short series below. */
static void bml_sample__start_sum(bml_sample__chunk *BML_SAMPLE_RESTRICT c,
                                  const bml_sample__start *BML_SAMPLE_RESTRICT p, int m) {
    for (int i = 0; i < m; i++) {
        float E = p->E[i];
        float z = p->z[i];
        float l = p->l[i];
        float q = p->q[i];
        float one_E = p->one_E[i];
        float one_z = p->one_z[i];
        float om = 1 - E;
        /* D/l^2 on 0 <= l <= 10.8, to 3e-6 */
        float D = (0.249999198f + l * (0.0621431243f + l * (0.0103371176f + l * 9.39750671e-4f))) /
                  (1 + l * (0.137409023f + l * (0.0262134346f + l * 0.00183597240f)));
        float a = (l - E) * one_z * one_E;
        float m3 = (z - 2 * l + E) * one_z * one_z * one_E;
        float m4 = (z - 3 * l + 2 * E + 0.5f * E * E) * one_z * one_E;
        float A = om * (1.0f / 2 + E * (1.0f / 3 + E * (1.0f / 4 + E * (1.0f / 5 + E * (1.0f / 6 + E * (1.0f / 7))))));
        float M3 =
            om * om * (1.0f / 3 + E * (1.0f / 2 + E * (3.0f / 5 + E * (2.0f / 3 + E * (5.0f / 7 + E * (3.0f / 4))))));
        float M4 = om * E * E * (1.0f / 4 + E * (2.0f / 5 + E * (1.0f / 2 + E * (4.0f / 7 + E * (5.0f / 8)))));
        A = E < 0.125f ? A : a;
        M3 = E < 0.125f ? M3 : m3;
        M4 = E < 0.125f ? M4 : m4;
        c->low[i] *= 0.5f * (l * one_E + 1 - 0.5f * E) +
                     q * ((1 + 2 * p->ln_q[i]) * A - 2 * (l * one_z) * (l * one_E) * D - 0.5f * M4) - 2 * q * q * M3;
    }
}

/* Everything that depends on gamma and eps0 alone. Returns 1 where there are photons with q(eps0) > 0.26 (it is
   1/4 at most where eps0 << gamma) or eps0 > 0.9 gamma, whose q is then set to 1: of their spectrum only an end is
   left; errors would grow there, so that they are inverted exactly. Few ever are. */
static int bml_sample__prepare(bml_sample__chunk *BML_SAMPLE_RESTRICT c, int m) {
    bml_sample__start p;
    int edge = 0;
    bml_sample__start_points(&p, c, m);
    bml_sample__start_sum(c, &p, m);
    for (int i = 0; i < m; i++) {
        float L = bml_sample__log1pf(4 * c->gamma[i] * c->eps0[i]);
        float s = L / (L + 4);
        /* L/G(L), a rational function of s, to 2e-5 */
        float top = 2.99994936f +
                    s * (-9.84568419f + s * (11.7783149f + s * (0.335458043f + s * (-13.4001478f + s * 11.2950671f))));
        float bottom =
            1 + s * (-3.95100920f + s * (7.91021191f + s * (-7.06729610f + s * (0.188001027f + s * 3.49805868f))));
        float low = c->q[i] <= 0.26f ? c->low[i] * top / (L * bottom) : 0;
        c->L[i] = L;
        c->s[i] = s;
        c->low[i] = low;
        c->high[i] = 1 - low;
    }
    for (int i = 0; i < m; i++)
        edge |= !(c->q[i] <= 0.26f);
    return edge;
}

/* t and 1 - t of u' = u_min + (1 - u_min) u. */
static void bml_sample__coordinate(bml_sample__chunk *BML_SAMPLE_RESTRICT c, int m) {
    for (int i = 0; i < m; i++) {
        float r = sqrtf(c->high[i] * c->v[i]);
        c->r[i] = r;
        c->t[i] = (c->low[i] + c->high[i] * c->u[i]) / (1 + r);
    }
}

/* Two units at a time share one division, the slowest part of a tanh: a/A = a B/(A B), b/B = b A/(A B). */
static void bml_sample__network(bml_sample__chunk *BML_SAMPLE_RESTRICT c, int m) {
    float h[8][BML_SAMPLE__CHUNK];
    const float *w = bml_sample__weights;
    const float *w2 = w + 24;
    const float *b2 = w2 + 64;
    const float *w3 = b2 + 8;
    for (int k = 0; k < 8; k += 2) {
        const float t0 = w[2 * k];
        const float s0 = w[2 * k + 1];
        const float t1 = w[2 * k + 2];
        const float s1 = w[2 * k + 3];
        const float bias0 = w[16 + k];
        const float bias1 = w[17 + k];
        float *BML_SAMPLE_RESTRICT out0 = h[k];
        float *BML_SAMPLE_RESTRICT out1 = h[k + 1];
        for (int i = 0; i < m; i++) {
            float A;
            float B;
            float a = bml_sample__tanh_parts(&A, bias0 + t0 * c->t[i] + s0 * c->s[i]);
            float b = bml_sample__tanh_parts(&B, bias1 + t1 * c->t[i] + s1 * c->s[i]);
            float one = 1 / (A * B);
            out0[i] = a * B * one;
            out1[i] = b * A * one;
        }
    }
    for (int i = 0; i < m; i++)
        c->n[i] = w3[8];
    for (int k = 0; k < 8; k += 2) {
        const float *x = w2 + 8 * k;
        const float *y = x + 8;
        const float v0 = w3[k];
        const float v1 = w3[k + 1];
        const float bias0 = b2[k];
        const float bias1 = b2[k + 1];
        const float x0 = x[0];
        const float x1 = x[1];
        const float x2 = x[2];
        const float x3 = x[3];
        const float x4 = x[4];
        const float x5 = x[5];
        const float x6 = x[6];
        const float x7 = x[7];
        const float y0 = y[0];
        const float y1 = y[1];
        const float y2 = y[2];
        const float y3 = y[3];
        const float y4 = y[4];
        const float y5 = y[5];
        const float y6 = y[6];
        const float y7 = y[7];
        for (int i = 0; i < m; i++) {
            float A;
            float a = bml_sample__tanh_parts(&A, (bias0 + x0 * h[0][i] + x1 * h[1][i] + x2 * h[2][i] + x3 * h[3][i]) +
                                                     (x4 * h[4][i] + x5 * h[5][i] + x6 * h[6][i] + x7 * h[7][i]));
            float B;
            float b = bml_sample__tanh_parts(&B, (bias1 + y0 * h[0][i] + y1 * h[1][i] + y2 * h[2][i] + y3 * h[3][i]) +
                                                     (y4 * h[4][i] + y5 * h[5][i] + y6 * h[6][i] + y7 * h[7][i]));
            c->n[i] += (v0 * a * B + v1 * b * A) / (A * B);
        }
    }
}

#define BML_SAMPLE__S_MAX 0.887f /* s at b = 4e13 is 0.88673 */

static void bml_sample__lookup(bml_sample__chunk *BML_SAMPLE_RESTRICT c, const float *BML_SAMPLE_RESTRICT node, int m) {
    const float per_t = BML_SAMPLE__NT - 1;
    const float per_s = (BML_SAMPLE__NS - 1) / BML_SAMPLE__S_MAX;
    for (int i = 0; i < m; i++) {
        float x = sqrtf(c->t[i]) * per_t;
        float y = c->s[i] * per_s;
        int32_t j = (int32_t)x;
        int32_t k = (int32_t)y;
        j = j > 0 ? j : 0;
        k = k > 0 ? k : 0;
        j = j < BML_SAMPLE__NT - 2 ? j : BML_SAMPLE__NT - 2;
        k = k < BML_SAMPLE__NS - 2 ? k : BML_SAMPLE__NS - 2;
        x -= (float)j;
        y -= (float)k;
        int32_t at = k * BML_SAMPLE__NT + j;
        float below = node[at] + x * (node[at + 1] - node[at]);
        float above = node[at + BML_SAMPLE__NT] + x * (node[at + BML_SAMPLE__NT + 1] - node[at + BML_SAMPLE__NT]);
        c->n[i] = below + y * (above - below);
    }
}

/* N(t, s) exactly: from the inverse CDF of the whole kernel. Limits at t = 0, 1 from a point near by. */
static double bml_sample__node(double t, double s) {
    bml_sample__pair_of pair;
    memset(&pair, 0, sizeof pair);
    t = t > 1e-5 ? (t < 1 - 1e-5 ? t : 1 - 1e-5) : 1e-5;
    s = s > 1e-12 ? s : 1e-12;
    pair.L = 4 * s / (1 - s);
    pair.b = expm1(pair.L);
    pair.ln_b = log(pair.b);
    pair.total = bml_sample__G(pair.L, pair.b, pair.ln_b);
    double l = bml_sample__invert(t * (2 - t), pair.L * t, &pair);
    return (l / pair.L - t) / (t * (1 - t));
}

BML_SAMPLE_DEF int bml_sample_compton_table(bml_sample_compton_nodes *nodes) {
    if (!nodes) return BML_SAMPLE_BAD_ARGUMENT;
    for (int k = 0; k < BML_SAMPLE__NS; k++)
        for (int j = 0; j < BML_SAMPLE__NT; j++) {
            double p = (double)j / (BML_SAMPLE__NT - 1);
            double s = (double)BML_SAMPLE__S_MAX * k / (BML_SAMPLE__NS - 1);
            nodes->n[k * BML_SAMPLE__NT + j] = (float)bml_sample__node(p * p, s);
        }
    nodes->ready = 1;
    return BML_SAMPLE_OK;
}

static void bml_sample__hidden(bml_sample__chunk *c, const bml_sample_compton_nodes *nodes, int method, int m) {
    bml_sample__coordinate(c, m);
    if (method == BML_SAMPLE_TABLE)
        bml_sample__lookup(c, nodes->n, m);
    else
        bml_sample__network(c, m);
}

/* >> Compton: batches */

#define BML_SAMPLE__PICK(how, name, i) ((how)->name[(how)->one_##name ? 0 : (i)])

/* In float, so that long arrays are checked in vector registers; gamma - eps0 is exact where it matters. */
BML_SAMPLE_DEF size_t bml_sample_compton_findf(const bml_sample_photonsf *how) {
    size_t n = how->one_gamma && how->one_eps0 ? how->n > 0 : how->n;
    for (size_t i = 0; i < n; i++)
        if (!bml_sample__in_domain((double)BML_SAMPLE__PICK(how, gamma, i), (double)BML_SAMPLE__PICK(how, eps0, i)))
            return i;
    return how->n;
}

BML_SAMPLE_DEF size_t bml_sample_compton_find(const bml_sample_photons *how) {
    size_t n = how->one_gamma && how->one_eps0 ? how->n > 0 : how->n;
    for (size_t i = 0; i < n; i++)
        if (!bml_sample__in_domain(BML_SAMPLE__PICK(how, gamma, i), BML_SAMPLE__PICK(how, eps0, i))) return i;
    return how->n;
}

static int bml_sample__bad_pairs(const float *BML_SAMPLE_RESTRICT gamma, const float *BML_SAMPLE_RESTRICT eps0,
                                 size_t n) {
    int bad = 0;
    for (size_t i = 0; i < n; i++) {
        float g = gamma[i];
        float e = eps0[i];
        bad |= !(g >= 1.0f) | !(g <= 1e11f) | !(e >= 0.99999998e-13f) | !(e <= 1e2f) | !((g - e) * g > 0.25f);
    }
    return bad;
}

static int bml_sample__check_photonsf(const bml_sample_photonsf *how) {
    int bad = 0;
    if (how->u)
        for (size_t i = 0; i < how->n; i++)
            bad |= !(how->u[i] >= 0) | !(how->u[i] <= 1);
    if (bad) return BML_SAMPLE_BAD_ARGUMENT;
    if (how->one_gamma || how->one_eps0)
        return bml_sample_compton_findf(how) == how->n ? BML_SAMPLE_OK : BML_SAMPLE_OUT_OF_DOMAIN;
    return bml_sample__bad_pairs(how->gamma, how->eps0, how->n) ? BML_SAMPLE_OUT_OF_DOMAIN : BML_SAMPLE_OK;
}

static int bml_sample__bad_method(int method, const bml_sample_compton_nodes *nodes) {
    return method < BML_SAMPLE_NET || method > BML_SAMPLE_EXACT ||
           (method == BML_SAMPLE_TABLE && !(nodes && nodes->ready == 1));
}

/* u and 1 - u from the words of the generator (31 bits each), or those given. */
static void bml_sample__uniforms(bml_sample__chunk *BML_SAMPLE_RESTRICT c, const float *u, int m, bml_sample_rng *rng) {
    uint32_t words[BML_SAMPLE__CHUNK];
    const float step = 1.0f / 2147483648.0f;
    if (u) {
        for (int i = 0; i < m; i++) {
            c->u[i] = u[i];
            c->v[i] = 1 - u[i];
        }
        return;
    }
    bml_sample__words(words, (m + 3) / 4, rng);
    for (int i = 0; i < m; i++) {
        int32_t k = (int32_t)(words[i] >> 1);
        c->u[i] = ((float)k + 0.5f) * step;
        c->v[i] = ((float)(0x7FFFFFFF - k) + 0.5f) * step;
    }
}

/* gamma and eps0 of the next m photons; those that are the same for all are written once, at the start. */
static void bml_sample__load(bml_sample__chunk *BML_SAMPLE_RESTRICT c, const bml_sample_photonsf *how, size_t done,
                             int m) {
    if (how->one_gamma && how->one_eps0 && done) return;
    for (int i = 0; i < m; i++)
        c->gamma[i] = BML_SAMPLE__PICK(how, gamma, done + (size_t)i);
    for (int i = 0; i < m; i++)
        c->eps0[i] = BML_SAMPLE__PICK(how, eps0, done + (size_t)i);
    c->edge = bml_sample__prepare(c, m);
}

static void bml_sample__energies(float *BML_SAMPLE_RESTRICT energy, float *BML_SAMPLE_RESTRICT rest,
                                 const bml_sample__chunk *BML_SAMPLE_RESTRICT c, int m) {
    for (int i = 0; i < m; i++) {
        float E;
        float left = bml_sample__expf(&E, c->L[i] * (c->t[i] * (1 + c->r[i] * c->n[i])));
        float eps = c->gamma[i] * E;
        energy[i] = eps > c->eps0[i] ? eps : c->eps0[i];
        rest[i] = left;
    }
}

/* l for the photons of a chunk exactly, from the network's answer. u and 1-u in double. */
static double bml_sample__exact(const bml_sample__chunk *c, int i, double gamma, double eps0, double u) {
    bml_sample__pair_of pair;
    bml_sample__prepare_pair(&pair, gamma, eps0);
    return bml_sample__invert(u, pair.L * (double)(c->t[i] * (1 + c->r[i] * c->n[i])), &pair);
}

/* All photons of the chunk for EXACT, else those of which only an end of the spectrum is left. */
static void bml_sample__exact_energies(float *energy, float *rest, const bml_sample__chunk *c, int method, int m) {
    for (int i = 0; i < m; i++) {
        double u = c->u[i] < 0.5f ? (double)c->u[i] : 1 - (double)c->v[i];
        if (method != BML_SAMPLE_EXACT && c->q[i] <= 0.26f) continue;
        double l = bml_sample__exact(c, i, (double)c->gamma[i], (double)c->eps0[i], u);
        float eps = (float)(-expm1(-l) * (double)c->gamma[i]);
        energy[i] = eps > c->eps0[i] ? eps : c->eps0[i];
        rest[i] = (float)exp(-l);
    }
}

BML_SAMPLE_DEF int bml_sample_comptonf(float *energy, const bml_sample_photonsf *how, bml_sample_rng *rng) {
    float spare[BML_SAMPLE__CHUNK];
    if (!energy || !how || !how->gamma || !how->eps0 || (!how->u && !rng) ||
        bml_sample__bad_method(how->method, how->nodes))
        return BML_SAMPLE_BAD_ARGUMENT;
    int status = bml_sample__check_photonsf(how);
    if (status) return status;
    bml_sample__chunk c;
    int m;
    for (size_t done = 0; done < how->n; done += (size_t)m) {
        float *rest = how->rest ? how->rest + done : spare;
        m = (int)bml_sample__part(how->n - done);
        bml_sample__load(&c, how, done, m);
        bml_sample__uniforms(&c, how->u ? how->u + done : NULL, m, rng);
        bml_sample__hidden(&c, how->nodes, how->method, m);
        if (how->method != BML_SAMPLE_EXACT) bml_sample__energies(energy + done, rest, &c, m);
        if (how->method == BML_SAMPLE_EXACT || c.edge)
            bml_sample__exact_energies(energy + done, rest, &c, how->method, m);
    }
    return BML_SAMPLE_OK;
}

/* In double the hidden function N is still a float: it is right to 1e-5, and everything around it has double
   precision. */
static void bml_sample__energies_double(double *energy, double *rest, const bml_sample__chunk *c,
                                        const bml_sample_photons *how, const double *u, int m) {
    double one_L = -1;
    for (int i = 0; i < m; i++) { /* how->gamma, eps0 and energy start at this chunk */
        double gamma = BML_SAMPLE__PICK(how, gamma, i);
        double eps0 = BML_SAMPLE__PICK(how, eps0, i);
        double l;
        if (how->method == BML_SAMPLE_EXACT || !(c->q[i] <= 0.26f))
            l = bml_sample__exact(c, i, gamma, eps0, u[i]);
        else {
            double low = (double)c->low[i];
            double high = (double)c->high[i];
            double r = sqrt(high * (1 - u[i]));
            double t = (low + high * u[i]) / (1 + r);
            double L = one_L >= 0 ? one_L : log1p(4 * gamma * eps0);
            if (how->one_gamma && how->one_eps0) one_L = L;
            l = L * t * (1 + r * (double)c->n[i]);
            l = l < L ? l : L;
        }
        double eps = -expm1(-l) * gamma;
        energy[i] = eps > eps0 ? eps : eps0;
        if (rest) rest[i] = exp(-l);
    }
}

static int bml_sample__check_photons(const bml_sample_photons *how) {
    if (how->u && !bml_sample__all_in_unit(how->u, how->n)) return BML_SAMPLE_BAD_ARGUMENT;
    return bml_sample_compton_find(how) == how->n ? BML_SAMPLE_OK : BML_SAMPLE_OUT_OF_DOMAIN;
}

BML_SAMPLE_DEF int bml_sample_compton(double *energy, const bml_sample_photons *how, bml_sample_rng *rng) {
    double room[BML_SAMPLE__CHUNK];
    if (!energy || !how || !how->gamma || !how->eps0 || (!how->u && !rng) ||
        bml_sample__bad_method(how->method, how->nodes))
        return BML_SAMPLE_BAD_ARGUMENT;
    int status = bml_sample__check_photons(how);
    if (status) return status;
    int same = how->one_gamma && how->one_eps0;
    bml_sample__chunk c;
    int m;
    for (size_t done = 0; done < how->n; done += (size_t)m) {
        bml_sample_photons part = *how;
        m = (int)bml_sample__part(how->n - done);
        if (!how->one_gamma) part.gamma += done;
        if (!how->one_eps0) part.eps0 += done;
        const double *u = bml_sample__take(room, how->u, done, (size_t)m, rng);
        for (int i = 0; i < m; i++) {
            c.u[i] = (float)u[i];
            c.v[i] = (float)(1 - u[i]);
        }
        for (int i = 0; i < m && !(same && done); i++) {
            c.gamma[i] = (float)BML_SAMPLE__PICK(&part, gamma, i);
            c.eps0[i] = (float)BML_SAMPLE__PICK(&part, eps0, i);
        }
        if (!(same && done)) c.edge = bml_sample__prepare(&c, m);
        bml_sample__hidden(&c, how->nodes, how->method, m);
        bml_sample__energies_double(energy + done, how->rest ? how->rest + done : NULL, &c, &part, u, m);
    }
    return BML_SAMPLE_OK;
}

/* >> Compton: directions and exact collisions */

static double bml_sample__dot(const double *a, const double *b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static int bml_sample__is_unit(const double *a) {
    return a && fabs(bml_sample__dot(a, a) - 1) <= 1e-6;
}

/* first[3], second[3]: unit vectors, perpendicular to the unit vector a and to each other. */
static void bml_sample__frame(double *first, double *second, const double *a) {
    int k = fabs(a[0]) < 0.6 ? 0 : 1;
    double scale = 1 / sqrt(1 - a[k] * a[k]);
    for (int i = 0; i < 3; i++)
        first[i] = ((i == k) - a[k] * a[i]) * scale;
    second[0] = a[1] * first[2] - a[2] * first[1];
    second[1] = a[2] * first[0] - a[0] * first[2];
    second[2] = a[0] * first[1] - a[1] * first[0];
}

/* out[3]: at cosine 1 - minus to a, azimuth phi; a unit vector to rounding. */
static void bml_sample__turn(double *out, const double *a, double minus, double phi) {
    double first[3];
    double second[3];
    double cosine = 1 - minus;
    double sine = sqrt(minus > 0 && minus < 2 ? minus * (2 - minus) : 0);
    double axis[3];
    memcpy(axis, a, sizeof axis);
    bml_sample__frame(first, second, axis);
    for (int i = 0; i < 3; i++)
        out[i] = cosine * axis[i] + sine * (cos(phi) * first[i] + sin(phi) * second[i]);
}

/* With x the photon's energy in the rest frame of the electron, which it meets head on, and c the cosine there between
   the outgoing photon and the electron's velocity in the lab: E/(1-E) = z = x (1 + c). For a given z, x has the density
   (1-E) + 1/(1-E) - 1 + c^2, c = z/x - 1, on [z/2, b/2]; its integral is b f(q)/2. In the lab 1 - cos = (1 - beta)(1 -
   c)/(1 + beta c). */
BML_SAMPLE_DEF int bml_sample_compton_direction(double *out, const double *direction, const bml_sample_event *event,
                                                bml_sample_rng *rng) {
    if (!out || !event || !rng || !bml_sample__is_unit(direction)) return BML_SAMPLE_BAD_ARGUMENT;
    double gamma = event->gamma;
    double E = event->eps / gamma;
    double b = 4 * gamma * event->eps0;
    if (!bml_sample__in_domain(gamma, event->eps0) || !(event->eps >= event->eps0) || !(E <= b / (1 + b) * (1 + 1e-5)))
        return BML_SAMPLE_OUT_OF_DOMAIN;
    double z = E < 1 ? E / (1 - E) : b;
    if (!(z < b)) z = b;
    double base = 1 + z * z / (1 + z); /* (1-E) + 1/(1-E) - 1 */
    double c;
    do {
        double x = 0.5 * (z + (b - z) * bml_sample_rng_uniform(rng));
        c = z / x - 1;
        c = c < 1 ? (c > -1 ? c : -1) : 1;
    } while ((base + 1) * bml_sample_rng_uniform(rng) > base + c * c);
    double beta = sqrt(1 - 1 / (gamma * gamma));
    bml_sample__turn(out, direction, (1 - c) / (gamma * gamma * (1 + beta) * (1 + beta * c)),
                     2 * BML_SAMPLE__PI * bml_sample_rng_uniform(rng));
    return BML_SAMPLE_OK;
}

/* Differential cross section over d(cos), over sigma_T: (3/8) r^2 (r + 1/r - sin^2), r = 1/(1 + x (1 - cos)). */
BML_SAMPLE_DEF double bml_sample_klein_nishina(double x) {
    double w = 1 + 2 * x;
    double sum = 0;
    double at[16];
    if (!(x >= 0 && x <= 1e100)) return BML_SAMPLE__NAN;
    if (x > 0.5) {
        double l = log1p(2 * x);
        return 0.75 * ((1 + x) / x * (2 * (1 + x) / w - l / x) / x + l / (2 * x) - (1 + 3 * x) / w / w);
    }
    bml_sample__gl_points(at, 0, 2);
    for (int i = 0; i < 16; i++) {
        double minus = at[i];
        double r = 1 / (1 + x * minus);
        int k = i < 8 ? 7 - i : i - 8;
        sum += bml_sample__gl_w[k] * r * r * (r + 1 / r - minus * (2 - minus));
    }
    return 0.375 * sum;
}

/* r = (energy after)/(energy before) for x in the rest frame; the density (1/r + r)(1 - r sin^2/(1 + r^2)) of r in
   [1/(1+2x), 1] is drawn as a mixture of 1/r and r with rejection (Butcher & Messel 1960, Nucl. Phys. 20, 15). *minus
   = 1 - cos of the angle. */
static double bml_sample__recoil(double *minus, double x, bml_sample_rng *rng) {
    double lowest = 1 / (1 + 2 * x);
    double first = log1p(2 * x);
    double second = 2 * x * (1 + x) * lowest * lowest;
    double r;
    double c; /* (1 - lowest^2)/2 */
    do {
        if (bml_sample_rng_uniform(rng) * (first + second) < first) {
            double l = first * bml_sample_rng_uniform(rng);
            r = exp(-l);
            c = expm1(l) / x; /* 1 - cos = (1/r - 1)/x */
        } else {
            double v = bml_sample_rng_uniform(rng);
            double lose = 2 * x * lowest; /* 1 - lowest */
            r = sqrt(lowest * lowest + (1 - lowest * lowest) * v);
            c = (1 - v) * lose * (1 + lowest) / ((1 + r) * r * x); /* 1 - r = (1 - r^2)/(1 + r) */
        }
        c = c < 2 ? c : 2;
    } while (bml_sample_rng_uniform(rng) * (1 + r * r) > 1 + r * r - r * c * (2 - c));
    *minus = c;
    return r;
}

BML_SAMPLE_DEF int bml_sample_scatter(double *eps, double *out, const bml_sample_collision *how, bml_sample_rng *rng) {
    static const double any[3] = {0, 0, 1};
    double minus;
    double rest[3];
    double after[3];
    double across[3];
    if (!eps || !out || !how || !rng || !bml_sample__is_unit(how->photon) || !(how->gamma >= 1 && how->gamma <= 1e11) ||
        !(how->eps0 > 0 && how->eps0 <= 1e100) || (how->gamma > 1 && !bml_sample__is_unit(how->electron)))
        return BML_SAMPLE_BAD_ARGUMENT;
    double gamma = how->gamma;
    double beta = sqrt((gamma - 1) * (gamma + 1)) / gamma;
    const double *axis = gamma > 1 ? how->electron : any;
    double near_;
    int i;
    for (i = 0, near_ = 0; i < 3; i++)
        near_ += 0.5 * (axis[i] - how->photon[i]) * (axis[i] - how->photon[i]); /* 1 - mu */
    near_ = near_ < 2 ? near_ : 2;
    double far = 1 / (gamma * gamma * (1 + beta)) + beta * near_; /* 1 - beta mu */
    double x = gamma * how->eps0 * far;
    double mu = (1 - near_ - beta) / far; /* cosine of the incoming photon to the axis, in the rest frame */
    mu = mu < 1 ? (mu > -1 ? mu : -1) : 1;
    for (i = 0; i < 3; i++)
        across[i] = how->photon[i] - (1 - near_) * axis[i];
    double size = sqrt(bml_sample__dot(across, across));
    if (!(size > 1e-12)) {
        bml_sample__frame(across, after, axis);
        size = 1;
    }
    for (i = 0; i < 3; i++)
        rest[i] = mu * axis[i] + sqrt(1 - mu * mu) * across[i] / size;
    double r = bml_sample__recoil(&minus, x, rng);
    bml_sample__turn(after, rest, minus, 2 * BML_SAMPLE__PI * bml_sample_rng_uniform(rng));
    double along = bml_sample__dot(after, axis);
    along = along < 1 ? (along > -1 ? along : -1) : 1;
    *eps = x * r * gamma * (1 + beta * along);
    far = gamma * (1 + beta * along);
    for (i = 0; i < 3; i++)
        across[i] = after[i] - along * axis[i];
    for (i = 0; i < 3; i++)
        out[i] = (gamma * (along + beta) * axis[i] + across[i]) / far;
    size = sqrt(bml_sample__dot(out, out));
    for (i = 0; i < 3; i++)
        out[i] /= size;
    return BML_SAMPLE_OK;
}

/* >> electrons and photons to scatter */

/* With gamma = 1 + theta x the density is (1 + theta x) sqrt(x (x + 2/theta)) e^-x, below (1 + theta x)(x +
   sqrt(2x/theta)) e^-x: four gamma distributions of shape 2, 3, 3/2, 5/2. */
BML_SAMPLE_DEF int bml_sample_thermal_electrons(double *gamma, size_t n, double theta, bml_sample_rng *rng) {
    double weight[4];
    if (!gamma || !rng || !(theta >= 1e-9 && theta <= 1e9)) return BML_SAMPLE_BAD_ARGUMENT;
    double root = sqrt(2 / theta);
    double half_pi = sqrt(BML_SAMPLE__PI) / 2; /* Gamma(3/2) */
    weight[0] = 1;
    weight[1] = 2 * theta;
    weight[2] = root * half_pi;
    weight[3] = theta * root * 1.5 * half_pi;
    double all = weight[0] + weight[1] + weight[2] + weight[3];
    for (size_t i = 0; i < n; i++) {
        double x;
        do {
            static const int twice[4] = {4, 6, 3, 5};
            int k = 0;
            double u = all * bml_sample_rng_uniform(rng);
            while (k < 3 && u > weight[k])
                u -= weight[k++];
            x = bml_sample_rng_gamma(rng, twice[k]);
        } while (bml_sample_rng_uniform(rng) * (sqrt(x) + root) > sqrt(x + 2 / theta));
        gamma[i] = 1 + theta * x;
    }
    return BML_SAMPLE_OK;
}

/* 1/(e^x - 1) = sum e^-kx: gamma distributions of shape s over k, with weights k^-s (s = 3 photons, 4 energy). */
BML_SAMPLE_DEF int bml_sample_black_body(double *x, size_t n, int weight, bml_sample_rng *rng) {
    int s = weight == BML_SAMPLE_ENERGY ? 4 : 3;
    if (!x || !rng || (weight != BML_SAMPLE_PHOTONS && weight != BML_SAMPLE_ENERGY)) return BML_SAMPLE_BAD_ARGUMENT;
    double zeta = s == 3 ? 1.2020569031595942854 : 1.0823232337111381915;
    for (size_t i = 0; i < n; i++) {
        double u = zeta * bml_sample_rng_uniform(rng);
        double k = 1;
        double sum = 1;
        while (sum < u && k < 1e5) {
            k += 1;
            sum += 1 / (k * k * (s == 3 ? k : k * k));
        }
        x[i] = bml_sample_rng_gamma(rng, 2 * s) / k;
    }
    return BML_SAMPLE_OK;
}

/* Above x: the number of photons, int F/x, or the energy, int F, with *density the integrand at x. From
   K_nu(y) = int_0^inf e^(-y cosh t) cosh(nu t) dt; the trapezoidal rule of step 0.15 is exact to rounding, as the
   integrand is analytic. */
static double bml_sample__synchrotron_above(double *density, double x, int weight) {
    double sum = 0;
    double p = 0;
    for (int k = 0; k < 400; k++) {
        double t = 0.15 * k;
        double c = cosh(t);
        if (x * c > 740) break;
        double g = (k ? 0.15 : 0.075) * cosh(5 * t / 3) / c * exp(-x * c);
        p += g;
        sum += weight == BML_SAMPLE_ENERGY ? g * (x + 1 / c) / c : g / c;
        if (k > 20 && g / c < 1e-19 * sum) break;
    }
    *density = weight == BML_SAMPLE_ENERGY ? x * p : p;
    return sum;
}

/* Nodes even in ln x, from e^-18 to 40, above which less than 1e-17 is left. */
BML_SAMPLE_DEF int bml_sample_synchrotron_init(bml_sample_synchrotron *table, int weight) {
    double whole = weight == BML_SAMPLE_ENERGY ? 8 * BML_SAMPLE__PI / (9 * sqrt(3.0)) : 5 * BML_SAMPLE__PI / 3;
    if (!table || (weight != BML_SAMPLE_PHOTONS && weight != BML_SAMPLE_ENERGY)) return BML_SAMPLE_BAD_ARGUMENT;
    for (int i = 0; i < 512; i++) {
        double x = exp(-18 + (log(40.0) + 18) * i / 511);
        double density;
        double above = bml_sample__synchrotron_above(&density, x, weight) / whole;
        double below = 1 - above;
        density /= whole;
        if (i == 0)
            below = density * x * (weight == BML_SAMPLE_ENERGY ? 0.75 : 3); /* density ~ x^1/3 or x^-2/3 there */
        table->ln_x[i] = log(x);
        table->ln_below[i] = log(below);
        table->ln_above[i] = log(above);
        table->slope_below[i] = below / (density * x); /* d ln x/d ln below */
        table->slope_above[i] = -above / (density * x);
    }
    table->ready = 1;
    return BML_SAMPLE_OK;
}

/* Cubic Hermite of x[2] with slopes[2] between y[0] and y[1]. */
static double bml_sample__hermite(double at, const double *y, const double *x, const double *slope) {
    double h = y[1] - y[0];
    double t = (at - y[0]) / h;
    return x[0] + t * (h * slope[0] + t * (3 * (x[1] - x[0]) - h * (2 * slope[0] + slope[1]) +
                                           t * (2 * (x[0] - x[1]) + h * (slope[0] + slope[1]))));
}

static double bml_sample__synchrotron_at(const bml_sample_synchrotron *s, double u) {
    const double *y = u < 0.5 ? s->ln_below : s->ln_above;
    double at = u < 0.5 ? log(u) : log1p(-u);
    double sign = u < 0.5 ? 1 : -1;
    int low = 0;
    int high = 511;
    if (!(u > 0)) return 0;
    if (u < 0.5 && at <= y[0]) return exp(s->ln_x[0] + s->slope_below[0] * (at - y[0]));
    if (!(at > s->ln_above[511]) && u >= 0.5) return exp(s->ln_x[511]);
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (sign * y[middle] <= sign * at)
            low = middle;
        else
            high = middle;
    }
    return exp(bml_sample__hermite(at, y + low, s->ln_x + low, (u < 0.5 ? s->slope_below : s->slope_above) + low));
}

BML_SAMPLE_DEF int bml_sample_synchrotron_draw(double *x, const double *u, size_t n,
                                               const bml_sample_synchrotron *table, bml_sample_rng *rng) {
    double room[BML_SAMPLE__CHUNK];
    if (!x || !table || table->ready != 1 || (!u && !rng) || (u && !bml_sample__all_in_unit(u, n)))
        return BML_SAMPLE_BAD_ARGUMENT;
    size_t m;
    for (size_t done = 0; done < n; done += m) {
        m = bml_sample__part(n - done);
        const double *uu = bml_sample__take(room, u, done, m, rng);
        for (size_t i = 0; i < m; i++)
            x[done + i] = bml_sample__synchrotron_at(table, uu[i]);
    }
    return BML_SAMPLE_OK;
}

/* x at u of x^-index on [lower, lower e^span]: from the end at which the density is higher, so that nothing overflows.
   */
static double bml_sample__power_at(double u, double lower, double span, double index) {
    double a = (1 - index) * span;
    if (fabs(a) < 1e-12) return lower * exp(u * span);
    double w;
    if (a < 0) { /* 1 - u (1 - e^a), in the form that does not cancel */
        w = u * expm1(a);
        return lower * exp(span * ((w > -0.5 ? log1p(w) : log(1 - u + u * exp(a))) / a));
    }
    w = (1 - u) * expm1(-a);
    return lower * exp(span * (1 + (w > -0.5 ? log1p(w) : log(u + (1 - u) * exp(-a))) / a));
}

/* Logarithm of the integral of (x/lower)^-index over [lower, lower e^span], over lower. */
static double bml_sample__power_mass(double span, double index) {
    double a = (1 - index) * span;
    if (fabs(a) < 1e-12) return log(span);
    return a < 0 ? log(-expm1(a) / -a * span) : a + log(-expm1(-a) / a * span);
}

static int bml_sample__power_arguments(const bml_sample_power *p) {
    if (!(p->lower > 0 && p->upper > p->lower && p->upper <= DBL_MAX) || !(fabs(p->index) <= 1000)) return 0;
    return p->break_at == 0 || (p->break_at > p->lower && p->break_at < p->upper && fabs(p->index_above) <= 1000);
}

BML_SAMPLE_DEF int bml_sample_power_law(double *x, const double *u, size_t n, const bml_sample_power *p,
                                        bml_sample_rng *rng) {
    double room[BML_SAMPLE__CHUNK];
    double above = 0;
    double share = 1;
    if (!x || !p || (!u && !rng) || !bml_sample__power_arguments(p) || (u && !bml_sample__all_in_unit(u, n)))
        return BML_SAMPLE_BAD_ARGUMENT;
    double span = log((p->break_at > 0 ? p->break_at : p->upper) / p->lower);
    if (p->break_at >
        0) { /* masses over lower and the density there: the upper piece starts at (break/lower)^(1 - index) */
        above = log(p->upper / p->break_at);
        share = 1 / (1 + exp(bml_sample__power_mass(above, p->index_above) + (1 - p->index) * span -
                             bml_sample__power_mass(span, p->index)));
    }
    size_t m;
    for (size_t done = 0; done < n; done += m) {
        m = bml_sample__part(n - done);
        const double *uu = bml_sample__take(room, u, done, m, rng);
        for (size_t i = 0; i < m; i++) {
            double low;
            double value;
            if (share >= 1 || (uu[i] < share && share > 0)) {
                low = uu[i] / share;
                value = bml_sample__power_at(low, p->lower, span, p->index);
            } else {
                low = (uu[i] - share) / (1 - share);
                value = bml_sample__power_at(low < 1 ? low : 1, p->break_at, above, p->index_above);
            }
            x[done + i] = value < p->upper ? (value > p->lower ? value : p->lower) : p->upper;
        }
    }
    return BML_SAMPLE_OK;
}

/* >> networks
   One flat array holds a sampler: 20260, 1 (the format), n_dim, n_z, n_hidden, the widths, lower[n_dim], upper[n_dim],
   z_lower[n_z], z_upper[n_z], then for each output k the layers of its network, kernel [out][in] and bias[out]. Inputs
   of network k: 2 v_k - 1, then x_1 .. x_k-1 and Z scaled to [-1,1]. */

enum { BML_SAMPLE__MAGIC = 20260, BML_SAMPLE__MAX_LAYERS = 8, BML_SAMPLE__MAX_WIDTH = 128, BML_SAMPLE__ROWS = 64 };

struct bml_sample_net {
    float *array;
    size_t count;
    int n_dim, n_z, n_hidden, width[BML_SAMPLE__MAX_LAYERS];
    const float *lower, *upper, *z_lower, *z_upper, *weights[BML_SAMPLE_MAX_DIM]; /* into array */
};

/* Numbers in the network of output k. */
static size_t bml_sample__subnet_size(const bml_sample_net *net, int k) {
    size_t count = 0;
    size_t in = (size_t)(1 + k + net->n_z);
    for (size_t l = 0; l < (size_t)net->n_hidden; l++) {
        count += (in + 1) * (size_t)net->width[l];
        in = (size_t)net->width[l];
    }
    return count + in + 1;
}

/* *value = array[at] if that is a whole number from low to high. */
static int bml_sample__read_count(int *value, const float *array, size_t at, int low, int high) {
    float x = array[at];
    if (!(x >= (float)low && x <= (float)high)) return 0;
    *value = (int)x;
    return (float)*value == x;
}

/* Points into the array; 0 unless it is sound. */
static int bml_sample__net_read(bml_sample_net *net) {
    const float *a = net->array;
    size_t at = 5;
    int k;
    int format;
    if (net->count < 8 || !bml_sample__read_count(&k, a, 0, BML_SAMPLE__MAGIC, BML_SAMPLE__MAGIC) ||
        !bml_sample__read_count(&format, a, 1, 1, 1) ||
        !bml_sample__read_count(&net->n_dim, a, 2, 1, BML_SAMPLE_MAX_DIM) ||
        !bml_sample__read_count(&net->n_z, a, 3, 0, BML_SAMPLE_MAX_Z) ||
        !bml_sample__read_count(&net->n_hidden, a, 4, 1, BML_SAMPLE__MAX_LAYERS))
        return 0;
    if (net->count < at + (size_t)(net->n_hidden + 2 * net->n_dim + 2 * net->n_z)) return 0;
    for (k = 0; k < net->n_hidden; k++)
        if (!bml_sample__read_count(&net->width[k], a, at++, 1, BML_SAMPLE__MAX_WIDTH)) return 0;
    net->lower = a + at;
    net->upper = net->lower + net->n_dim;
    net->z_lower = net->upper + net->n_dim;
    net->z_upper = net->z_lower + net->n_z;
    at += (size_t)(2 * net->n_dim + 2 * net->n_z);
    for (k = 0; k < net->n_dim; k++) {
        net->weights[k] = a + at;
        at += bml_sample__subnet_size(net, k);
        if (at > net->count || !(net->lower[k] < net->upper[k])) return 0;
    }
    for (k = 0; k < net->n_z; k++)
        if (!(net->z_lower[k] < net->z_upper[k])) return 0;
    for (size_t i = 0; i < net->count; i++)
        if (!(a[i] - a[i] == 0)) return 0;
    return at == net->count;
}

static int bml_sample__net_make(bml_sample_net **net, const float *array, size_t count) {
    if (!net) return BML_SAMPLE_BAD_ARGUMENT;
    *net = NULL;
    if (!array) return BML_SAMPLE_BAD_ARGUMENT;
    bml_sample_net *made;
    made = (bml_sample_net *)bml_sample__alloc(1, sizeof *made, 1);
    if (!made) return BML_SAMPLE_NO_MEMORY;
    made->array = (float *)bml_sample__alloc(count, sizeof(float), 1);
    if (!made->array) {
        bml_sample_net_free(made);
        return BML_SAMPLE_NO_MEMORY;
    }
    if (count) memcpy(made->array, array, count * sizeof(float));
    made->count = count;
    if (!bml_sample__net_read(made)) {
        bml_sample_net_free(made);
        return BML_SAMPLE_BAD_ARRAY;
    }
    *net = made;
    return BML_SAMPLE_OK;
}

BML_SAMPLE_DEF int bml_sample_net_create(bml_sample_net **net, const float *array, size_t count, char *why) {
    return bml_sample__say(why, bml_sample__net_make(net, array, count), "");
}

BML_SAMPLE_DEF void bml_sample_net_free(bml_sample_net *net) {
    if (!net) return;
    BML_SAMPLE_FREE(net->array);
    BML_SAMPLE_FREE(net);
}

BML_SAMPLE_DEF int bml_sample_net_dims(const bml_sample_net *net, int *n_z) {
    if (n_z) *n_z = net ? net->n_z : 0;
    return net ? net->n_dim : 0;
}

BML_SAMPLE_DEF const float *bml_sample_net_array(const bml_sample_net *net, size_t *count) {
    if (count) *count = net ? net->count : 0;
    return net ? net->array : NULL;
}

/* One layer for m rows: to[out][ROWS] from from[in][ROWS], tanh unless last. */
static void bml_sample__layer(float *BML_SAMPLE_RESTRICT to, const float *BML_SAMPLE_RESTRICT from, const float *w,
                              int in, int out, int m, int last) {
    const float *bias = w + (size_t)in * (size_t)out;
    int j;
    for (int k = 0; k < out; k++) {
        float *BML_SAMPLE_RESTRICT y = to + k * BML_SAMPLE__ROWS;
        const float *row = w + (size_t)k * (size_t)in;
        for (int i = 0; i < m; i++)
            y[i] = bias[k];
        for (j = 0; j + 3 < in; j += 4) {
            const float *x = from + j * BML_SAMPLE__ROWS;
            const float a0 = row[j];
            const float a1 = row[j + 1];
            const float a2 = row[j + 2];
            const float a3 = row[j + 3];
            for (int i = 0; i < m; i++)
                y[i] += a0 * x[i] + a1 * x[i + BML_SAMPLE__ROWS] +
                        (a2 * x[i + 2 * BML_SAMPLE__ROWS] + a3 * x[i + 3 * BML_SAMPLE__ROWS]);
        }
        for (; j < in; j++)
            for (int i = 0; i < m; i++)
                y[i] += row[j] * from[j * BML_SAMPLE__ROWS + i];
        for (int i = 0; !last && i < m; i++)
            y[i] = bml_sample__tanhf(y[i]);
    }
}

/* Output k of m rows: v[m], x[m][n_dim] (filled up to k-1, takes k), z[m][n_z] with stride z_step. */
static void bml_sample__output(const bml_sample_net *net, int k, float *x, const float *v, const float *z, int z_step,
                               int m) {
    float act[2][BML_SAMPLE__MAX_WIDTH * BML_SAMPLE__ROWS];
    const float *w = net->weights[k];
    int in = 1 + k + net->n_z;
    int from = 0;
    for (int i = 0; i < m; i++)
        act[0][i] = 2 * v[i] - 1;
    for (int j = 0; j < k; j++)
        for (int i = 0; i < m; i++)
            act[0][(1 + j) * BML_SAMPLE__ROWS + i] =
                2 * (x[i * net->n_dim + j] - net->lower[j]) / (net->upper[j] - net->lower[j]) - 1;
    for (int j = 0; j < net->n_z; j++)
        for (int i = 0; i < m; i++)
            act[0][(1 + k + j) * BML_SAMPLE__ROWS + i] =
                2 * (z[i * z_step + j] - net->z_lower[j]) / (net->z_upper[j] - net->z_lower[j]) - 1;
    for (int l = 0; l <= net->n_hidden; l++) {
        int out = l < net->n_hidden ? net->width[l] : 1;
        bml_sample__layer(act[1 - from], act[from], w, in, out, m, l == net->n_hidden);
        w += (size_t)(in + 1) * (size_t)out;
        in = out;
        from = 1 - from;
    }
    for (int i = 0; i < m; i++) {
        float y = v[i] + v[i] * (1 - v[i]) * act[from][i];
        y = y > 0 ? (y < 1 ? y : 1) : 0;
        x[i * net->n_dim + k] = net->lower[k] + (net->upper[k] - net->lower[k]) * y;
    }
}

static int bml_sample__net_arguments(const bml_sample_net *net, const bml_sample_net_call *call) {
    size_t rows = call->one_z ? call->n > 0 : call->n;
    size_t n;
    int bad = 0;
    if (!bml_sample__mul(&n, call->n, (size_t)net->n_dim, sizeof(float))) return BML_SAMPLE_TOO_LARGE;
    if (!bml_sample__mul(&n, call->n, (size_t)(net->n_z + 1), sizeof(float))) return BML_SAMPLE_TOO_LARGE;
    if (net->n_z && !call->z) return BML_SAMPLE_BAD_ARGUMENT;
    for (size_t i = 0; i < rows; i++)
        for (int k = 0; k < net->n_z; k++) {
            float z = call->z[i * (size_t)net->n_z + (size_t)k];
            bad |= !(z >= net->z_lower[k] && z <= net->z_upper[k]);
        }
    for (size_t i = 0; call->u && i < call->n * (size_t)net->n_dim; i++)
        bad |= !(call->u[i] >= 0 && call->u[i] <= 1);
    return bad ? BML_SAMPLE_BAD_ARGUMENT : BML_SAMPLE_OK;
}

BML_SAMPLE_DEF int bml_sample_net_draw(const bml_sample_net *net, float *x, const bml_sample_net_call *call,
                                       bml_sample_rng *rng) {
    double u[BML_SAMPLE__ROWS];
    float v[BML_SAMPLE__ROWS];
    if (!net || !x || !call || (!call->u && !rng)) return BML_SAMPLE_BAD_ARGUMENT;
    int status = bml_sample__net_arguments(net, call);
    if (status) return status;
    size_t d = (size_t)net->n_dim;
    int m;
    for (size_t done = 0; done < call->n; done += (size_t)m) {
        const float *z = call->z && !call->one_z ? call->z + done * (size_t)net->n_z : call->z;
        m = call->n - done < BML_SAMPLE__ROWS ? (int)(call->n - done) : BML_SAMPLE__ROWS;
        for (int k = 0; k < net->n_dim; k++) {
            if (!call->u) bml_sample_rng_fill(u, (size_t)m, rng);
            for (int i = 0; i < m; i++)
                v[i] = (float)bml_sample__v_of(call->u ? (double)call->u[(done + (size_t)i) * d + (size_t)k] : u[i]);
            bml_sample__output(net, k, x + done * d, v, z, call->one_z ? 0 : net->n_z, m);
        }
    }
    return BML_SAMPLE_OK;
}

/* Text that counts itself, as snprintf does. */
typedef struct bml_sample__text {
    char *to;
    size_t size, length;
} bml_sample__text;

BML_SAMPLE_PRINTF(2, 3) static void bml_sample__add(bml_sample__text *t, const char *format, ...) {
    char piece[128];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    if (n >= (int)sizeof piece) n = (int)sizeof piece - 1;
    if (n > 0 && t->length < t->size)
        memcpy(t->to + t->length, piece, (size_t)n < t->size - t->length ? (size_t)n : t->size - t->length);
    t->length += (size_t)n;
}

static size_t bml_sample__end(bml_sample__text *t) {
    if (t->size) t->to[t->length < t->size ? t->length : t->size - 1] = 0;
    return t->length;
}

BML_SAMPLE_DEF size_t bml_sample_net_write(char *text, size_t size, const bml_sample_net *net, const char *name) {
    bml_sample__text t;
    t.to = text;
    t.size = text ? size : 0;
    t.length = 0;
    if (!net || !name) return bml_sample__end(&t);
    bml_sample__add(&t, "static const float %.63s[%lu] = {", name, (unsigned long)net->count);
    for (size_t i = 0; i < net->count; i++) /* 9 digits give back the same float; .0 so that the f may follow */
        bml_sample__add(&t, "%s%.8ef", i == 0 ? "\n    " : i % 7 ? ", " : ",\n    ", (double)net->array[i]);
    bml_sample__add(&t, "};\n");
    return bml_sample__end(&t);
}

/* The tensor entries of the JSON header, or nothing but their count in bytes of data. */
static void bml_sample__tensors(bml_sample__text *t, const bml_sample_net *net) {
    size_t at = 0;
    for (int k = 0; k < net->n_dim; k++) {
        size_t in = (size_t)(1 + k + net->n_z);
        size_t out;
        for (int l = 0; l <= net->n_hidden; l++, in = out) {
            out = l < net->n_hidden ? (size_t)net->width[l] : 1;
            size_t end = at + 4 * in * out;
            bml_sample__add(t, ",\"x%d.%d.weight\":{\"dtype\":\"F32\",\"shape\":[%lu,%lu],\"data_offsets\":[%lu,%lu]}",
                            k + 1, l, (unsigned long)out, (unsigned long)in, (unsigned long)at, (unsigned long)end);
            at = end;
            end = at + 4 * out;
            bml_sample__add(t, ",\"x%d.%d.bias\":{\"dtype\":\"F32\",\"shape\":[%lu],\"data_offsets\":[%lu,%lu]}", k + 1,
                            l, (unsigned long)out, (unsigned long)at, (unsigned long)end);
            at = end;
        }
    }
}

static void bml_sample__range(bml_sample__text *t, const char *name, const float *values, int n) {
    bml_sample__add(t, ",\"%s\":\"", name);
    for (int i = 0; i < n; i++)
        bml_sample__add(t, "%s%.9g", i ? " " : "", (double)values[i]);
    bml_sample__add(t, "\"");
}

BML_SAMPLE_DEF size_t bml_sample_net_safetensors(unsigned char *bytes, size_t size, const bml_sample_net *net) {
    bml_sample__text t;
    t.to = (char *)bytes;
    t.size = bytes ? size : 0;
    t.length = 0;
    if (!net) return 0;
    bml_sample__add(
        &t, "%8s{\"__metadata__\":{\"format\":\"bml_sample 1\",\"inputs\":\"2v-1, x, Z on [-1,1]\",\"hidden\":\"tanh\"",
        "");
    bml_sample__add(&t, ",\"output\":\"lower+(upper-lower)(v+v(1-v)N), v=(2/pi)asin(sqrt(u))\"");
    bml_sample__range(&t, "lower", net->lower, net->n_dim);
    bml_sample__range(&t, "upper", net->upper, net->n_dim);
    bml_sample__range(&t, "z_lower", net->z_lower, net->n_z);
    bml_sample__range(&t, "z_upper", net->z_upper, net->n_z);
    bml_sample__add(&t, "}");
    bml_sample__tensors(&t, net);
    bml_sample__add(&t, "}");
    while (t.length % 8)
        bml_sample__add(&t, " ");
    size_t header = t.length - 8;
    size_t first = (size_t)(net->weights[0] - net->array);
    for (size_t i = 0; i < 8 && i < t.size; i++)
        bytes[i] = (unsigned char)((uint64_t)header >> 8 * i);
    for (size_t i = first; i < net->count; i++) {
        uint32_t bits;
        memcpy(&bits, &net->array[i], 4);
        for (size_t k = 0; k < 4; k++, t.length++)
            if (t.length < t.size) bytes[t.length] = (unsigned char)(bits >> 8 * k);
    }
    return t.length;
}

#ifdef BML_SAMPLE_TRAIN
/* >> training
   For many values of (Z, x_1..k-1), drawn evenly over their ranges, the conditional density of x_k is made into a
   table: from it come C_k and its derivative wherever the network puts x_k. A row of the training set is (v, x_1..k-1,
   Z) and, as its target, the number of its table. The network learns N; its loss is that of x_k = lo + (hi-lo) [v + v
   (1-v) N]. */
#include "bml_nn.h"

typedef struct bml_sample__lesson {
    const bml_sample_training *training;
    bml_sample_table **table; /* [conditions] */
    double *x, *z;            /* [conditions][n_dim], [conditions][n_z] */
    int k, n_conditions;
    bml_nn *nn;
    double lower, width;
    float *rows, *numbers; /* the training set: [n][n_in], [n] */
    size_t n;
    int cancelled;
} bml_sample__lesson;

/* The density of x_k at given x_1..k-1 and Z: later coordinates integrated out by two panels of 16 points each. */
typedef struct bml_sample__marginal {
    const bml_sample_training *training;
    const double *x, *z;
    int k;
} bml_sample__marginal;

static void bml_sample__marginal_density(double *p, const double *x, const double *unused, int n, void *user) {
    const bml_sample__marginal *m = (const bml_sample__marginal *)user;
    const bml_sample_training *t = m->training;
    double point[1024 * 3];
    double value[1024];
    double at[3][32];
    int rest = t->n_dim - 1 - m->k;
    int total = rest == 0 ? 1 : rest == 1 ? 32 : 1024;
    (void)unused;
    int d;
    for (d = m->k + 1; d < t->n_dim; d++) {
        double half = 0.5 * (t->lower[d] + t->upper[d]);
        bml_sample__gl_points(at[d], t->lower[d], half);
        bml_sample__gl_points(at[d] + 16, half, t->upper[d]);
    }
    int a;
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int j = 0; j < total; j++) {
            for (d = 0; d < m->k; d++)
                point[j * t->n_dim + d] = m->x[d];
            point[j * t->n_dim + m->k] = x[i];
            for (d = m->k + 1, a = j; d < t->n_dim; d++, a /= 32)
                point[j * t->n_dim + d] = at[d][a % 32];
        }
        t->density(value, point, m->z, total, t->user);
        for (int j = 0; j < total; j++) {
            double weight = 1;
            for (d = m->k + 1, a = j; d < t->n_dim; d++, a /= 32) {
                int g = a % 16;
                weight *= bml_sample__gl_w[g < 8 ? 7 - g : g - 8] * 0.25 * (t->upper[d] - t->lower[d]);
            }
            sum += value[j] < 0 ? BML_SAMPLE__NAN : weight * value[j];
        }
        p[i] = sum;
    }
}

/* The table of condition c, whose x and z are set. ZERO_DENSITY: nothing there, take another. */
static int bml_sample__condition(bml_sample__lesson *s, int c) {
    const bml_sample_training *t = s->training;
    bml_sample__marginal m;
    m.training = t;
    m.x = s->x + c * t->n_dim;
    m.z = t->n_z ? s->z + c * t->n_z : NULL;
    m.k = s->k;
    bml_sample_table_config config;
    memset(&config, 0, sizeof config);
    config.density = bml_sample__marginal_density;
    config.user = &m;
    config.lower = t->lower[s->k];
    config.upper = t->upper[s->k];
    config.tolerance = 1e-6;
    int status = bml_sample_table_create(&s->table[c], &config, NULL);
    if (status == BML_SAMPLE_NOT_CONVERGED) status = BML_SAMPLE_OK; /* near enough to 1e-6 */
    if (status) {
        bml_sample_table_free(s->table[c]);
        s->table[c] = NULL;
    }
    return status;
}

/* Random conditions, a low-discrepancy sequence in each coordinate (additive recurrence with a root of x^(d+1) = x +
   1), shifted at random. */
static int bml_sample__conditions(bml_sample__lesson *s, bml_sample_rng *rng) {
    const bml_sample_training *t = s->training;
    int d = s->k + t->n_z;
    int status = BML_SAMPLE_OK;
    int tries = 0;
    double root = 1.5;
    double shift[BML_SAMPLE_MAX_DIM + BML_SAMPLE_MAX_Z];
    double number = 0;
    for (int j = 0; j < 60; j++)
        root = pow(1 + root, 1.0 / (d + 1));
    for (int j = 0; j < d; j++)
        shift[j] = bml_sample_rng_uniform(rng);
    for (int c = 0; !status && c < s->n_conditions; number++) {
        for (int j = 0; j < d; j++) {
            double at = shift[j] + number * pow(root, -(j + 1.0));
            at -= floor(at);
            at = at * 1.06 - 0.03; /* the ends of the ranges are learnt too */
            at = at < 0 ? 0 : at > 1 ? 1 : at;
            if (j < s->k)
                s->x[c * t->n_dim + j] = t->lower[j] + at * (t->upper[j] - t->lower[j]);
            else
                s->z[c * t->n_z + j - s->k] = t->z_lower[j - s->k] + at * (t->z_upper[j - s->k] - t->z_lower[j - s->k]);
        }
        status = bml_sample__condition(s, c);
        if (!status)
            c++;
        else if (status == BML_SAMPLE_ZERO_DENSITY && s->k && ++tries < 10 * s->n_conditions)
            status = BML_SAMPLE_OK;
    }
    return status;
}

static double bml_sample__train_loss(const bml_nn_batch *batch, void *user) {
    const bml_sample__lesson *s = (const bml_sample__lesson *)user;
    double sum = 0;
    for (int i = 0; i < batch->n; i++) {
        double v = ((double)batch->x[(size_t)i * batch->n_in] + 1) / 2;
        double u = bml_sample__u_of(v);
        double n = (double)batch->prediction[i];
        double c = 0;
        double p = 0;
        double y = v + v * (1 - v) * n;
        double out = y < 0 ? y : y > 1 ? y - 1 : 0; /* outside, the loss goes on with the slope of a uniform density */
        double x = s->lower + s->width * (y - out);
        bml_sample_table_cdf(s->table[(int)batch->target[i]], &c, &p, &x, 1);
        p = p * s->width > 0.05 ? p * s->width : 0.05; /* so that no row is stuck where there is no density */
        c += out - u;
        sum += c * c;
        batch->gradient[i] = (bml_nn_real)(2 * c * p * v * (1 - v) / batch->n);
    }
    return sum / batch->n;
}

/* The mean of (C - u)^2 over the whole training set, with the weights as they are. */
static int bml_sample__whole_loss(bml_sample__lesson *s, double *loss) {
    size_t n = s->n;
    float *prediction = (float *)bml_sample__alloc(n, 2 * sizeof(float), 1);
    int status = BML_SAMPLE_NO_MEMORY;
    if (prediction) {
        bml_nn_batch batch;
        memset(&batch, 0, sizeof batch);
        status = bml_nn_predict(s->nn, NULL, prediction, s->rows, n) ? BML_SAMPLE_TRAINING : BML_SAMPLE_OK;
        batch.prediction = prediction;
        batch.gradient = prediction + n;
        batch.target = s->numbers;
        batch.x = s->rows;
        batch.n = (int)n;
        batch.n_in = bml_nn_n_in(s->nn);
        batch.n_out = 1;
        if (!status) *loss = bml_sample__train_loss(&batch, s);
    }
    BML_SAMPLE_FREE(prediction);
    return status;
}

static int bml_sample__train_epoch(const bml_nn_epoch *epoch, void *user) {
    bml_sample__lesson *s = (bml_sample__lesson *)user;
    const bml_sample_training *t = s->training;
    double loss = epoch->loss;
    int stop = 0;
    if (t->progress) {
        bml_sample_progress p;
        memset(&p, 0, sizeof p);
        p.output = s->k + 1;
        p.n_outputs = t->n_dim;
        p.epoch = epoch->epoch;
        p.epochs = epoch->last;
        p.loss = epoch->loss;
        p.target = t->target;
        if (t->progress(&p, t->progress_user)) return s->cancelled = 1;
    }
    if (epoch->loss <= t->target)
        stop = !bml_sample__whole_loss(s, &loss) && loss <= t->target; /* its own is a mean over changing weights */
    return stop;
}

/* The training rows: v evenly spread, shifted from condition to condition. */
static void bml_sample__rows(const bml_sample__lesson *s, float *x, float *y, int points) {
    const bml_sample_training *t = s->training;
    int n_in = 1 + s->k + t->n_z;
    for (int c = 0; c < s->n_conditions; c++)
        for (int j = 0; j < points; j++) {
            float *row = x + (size_t)(c * points + j) * (size_t)n_in;
            double v = (j + fmod(0.5 + 0.6180339887498949 * c, 1)) / points;
            row[0] = (float)(2 * v - 1);
            for (int k = 0; k < s->k; k++)
                row[1 + k] = (float)(2 * (s->x[c * t->n_dim + k] - t->lower[k]) / (t->upper[k] - t->lower[k]) - 1);
            for (int k = 0; k < t->n_z; k++)
                row[1 + s->k + k] =
                    (float)(2 * (s->z[c * t->n_z + k] - t->z_lower[k]) / (t->z_upper[k] - t->z_lower[k]) - 1);
            y[c * points + j] = (float)c;
        }
}

static int bml_sample__learn(bml_sample__lesson *s, double *loss, const int *hidden, int n_hidden) {
    const bml_sample_training *t = s->training;
    bml_nn_layer layers[BML_SAMPLE__MAX_LAYERS + 2];
    bml_nn_batch_step steps[3];
    int n_in = 1 + s->k + t->n_z;
    size_t n = (size_t)s->n_conditions * (size_t)t->points;
    float *x = (float *)bml_sample__alloc(n, (size_t)n_in + 1, sizeof(float));
    float *y = x + n * (size_t)n_in;
    if (!x) return BML_SAMPLE_NO_MEMORY;
    memset(layers, 0, sizeof layers);
    bml_nn_config config;
    memset(&config, 0, sizeof config);
    bml_nn_training how;
    memset(&how, 0, sizeof how);
    layers[0].kind = BML_NN_INPUT;
    layers[0].features = n_in;
    for (int l = 0; l <= n_hidden; l++) {
        layers[l + 1].kind = BML_NN_DENSE;
        layers[l + 1].units = l < n_hidden ? hidden[l] : 1;
        layers[l + 1].activation = l < n_hidden ? BML_NN_TANH : BML_NN_LINEAR;
    }
    config.layers = layers;
    config.n_layers = n_hidden + 2;
    config.seed = t->seed + (uint64_t)s->k;
    bml_sample__rows(s, x, y, t->points);
    s->rows = x;
    s->numbers = y;
    s->n = n;
    for (int l = 0; l < 3; l++) {
        steps[l].epoch = (l + 1) * t->epochs / 4 + 1;
        steps[l].batch = t->batch << (l + 1);
    }
    how.x = x;
    how.y = y;
    how.n = n;
    how.loss = BML_NN_CUSTOM;
    how.loss_fn = bml_sample__train_loss;
    how.loss_user = s;
    how.learning_rate = t->learning_rate;
    how.schedule = BML_NN_COSINE;
    how.decay = 0.01;
    how.batch = t->batch;
    how.batches = steps;
    how.n_batches = t->epochs >= 4 ? 3 : 0;
    how.epochs = t->epochs;
    how.keep_last = 1;
    how.threads = t->threads;
    how.seed = t->seed;
    how.callback = bml_sample__train_epoch;
    how.user = s;
    int status = bml_nn_create(&s->nn, &config, NULL) ? BML_SAMPLE_TRAINING : BML_SAMPLE_OK;
    if (!status) {
        int trained = bml_nn_train(s->nn, &how, NULL);
        if (s->cancelled)
            status = BML_SAMPLE_CANCELLED;
        else if (trained && trained != BML_NN_CANCELLED)
            status = BML_SAMPLE_TRAINING; /* stopped at the target: fine */
    }
    if (!status) status = bml_sample__whole_loss(s, loss);
    BML_SAMPLE_FREE(x);
    return status;
}

/* The flat array's weights of output k: bml_nn keeps kernels as [in][out]. */
static void bml_sample__collect(float *to, bml_nn *nn, int n_in, const int *hidden, int n_hidden) {
    const float *from = bml_nn_params(nn);
    int in = n_in;
    for (int l = 0; l <= n_hidden; l++) {
        int out = l < n_hidden ? hidden[l] : 1;
        for (int j = 0; j < out; j++)
            for (int i = 0; i < in; i++)
                to[j * in + i] = from[i * out + j];
        memcpy(to + in * out, from + in * out, (size_t)out * sizeof(float));
        to += (in + 1) * out;
        from += (in + 1) * out;
        in = out;
    }
}

/* Output k from start to end. */
static int bml_sample__train_output(float *to, double *loss, const bml_sample_training *t, int k) {
    bml_sample__lesson s;
    int status = BML_SAMPLE_NO_MEMORY;
    memset(&s, 0, sizeof s);
    bml_sample_rng rng;
    bml_sample_rng_init(&rng, t->seed, (uint64_t)k);
    s.training = t;
    s.k = k;
    s.lower = t->lower[k];
    s.width = t->upper[k] - t->lower[k];
    s.n_conditions = k + t->n_z ? t->conditions : 1;
    s.table = (bml_sample_table **)bml_sample__alloc((size_t)s.n_conditions, sizeof *s.table, 1);
    s.x = bml_sample__doubles((size_t)s.n_conditions, (size_t)t->n_dim);
    s.z = bml_sample__doubles((size_t)s.n_conditions, (size_t)t->n_z + 1);
    if (s.table && s.x && s.z) status = bml_sample__conditions(&s, &rng);
    if (!status) status = bml_sample__learn(&s, loss, t->hidden, t->n_hidden);
    if (!status) bml_sample__collect(to, s.nn, 1 + k + t->n_z, t->hidden, t->n_hidden);
    for (int c = 0; s.table && c < s.n_conditions; c++)
        bml_sample_table_free(s.table[c]);
    bml_nn_free(s.nn);
    BML_SAMPLE_FREE(s.table);
    BML_SAMPLE_FREE(s.x);
    BML_SAMPLE_FREE(s.z);
    return status;
}

/* Does x_k rise with u, at conditions all over the ranges? */
static int bml_sample__rises(const bml_sample_net *net, uint64_t seed) {
    bml_sample_rng rng;
    float v[BML_SAMPLE__ROWS];
    float x[BML_SAMPLE__ROWS * BML_SAMPLE_MAX_DIM];
    float z[BML_SAMPLE_MAX_Z + 1];
    bml_sample_rng_init(&rng, seed, 1000);
    for (int k = 0; k < net->n_dim; k++)
        for (int trial = 0; trial < 200; trial++) {
            float last = net->lower[k];
            float given[BML_SAMPLE_MAX_DIM];
            for (int j = 0; j < k; j++)
                given[j] = net->lower[j] + (net->upper[j] - net->lower[j]) * (float)bml_sample_rng_uniform(&rng);
            for (int j = 0; j < net->n_z; j++)
                z[j] = net->z_lower[j] + (net->z_upper[j] - net->z_lower[j]) * (float)bml_sample_rng_uniform(&rng);
            for (int part = 0; part < 8; part++) {
                for (int i = 0; i < BML_SAMPLE__ROWS; i++) {
                    v[i] = (float)(part * BML_SAMPLE__ROWS + i) / (8 * BML_SAMPLE__ROWS - 1);
                    for (int j = 0; j < k; j++)
                        x[i * net->n_dim + j] = given[j];
                }
                bml_sample__output(net, k, x, v, z, 0, BML_SAMPLE__ROWS);
                for (int i = 0; i < BML_SAMPLE__ROWS; i++) {
                    float now = x[i * net->n_dim + k];
                    if (!(now >= last - 1e-6f * (net->upper[k] - net->lower[k]))) return 0;
                    last = now;
                }
            }
        }
    return 1;
}

static int bml_sample__train_arguments(bml_sample_training *t) {
    static const int preset[3] = {32, 32, 32};
    if (!t->hidden) {
        t->hidden = preset;
        t->n_hidden = 3;
    }
    if (t->target == 0) t->target = 1e-6;
    if (!t->conditions) t->conditions = 256;
    if (!t->points) t->points = 64;
    if (!t->epochs) t->epochs = 2000;
    if (!t->batch) t->batch = 32;
    if (t->learning_rate == 0) t->learning_rate = 1e-2;
    if (!t->density || t->n_dim < 1 || t->n_dim > 3 || t->n_z < 0 || t->n_z > BML_SAMPLE_MAX_Z || !t->lower ||
        !t->upper || (t->n_z && (!t->z_lower || !t->z_upper)) || t->n_hidden < 1 ||
        t->n_hidden > BML_SAMPLE__MAX_LAYERS)
        return 0;
    for (int k = 0; k < t->n_dim; k++)
        if (!(t->lower[k] < t->upper[k] && t->upper[k] - t->lower[k] <= 1e30)) return 0;
    for (int k = 0; k < t->n_z; k++)
        if (!(t->z_lower[k] < t->z_upper[k] && t->z_upper[k] - t->z_lower[k] <= 1e30)) return 0;
    for (int k = 0; k < t->n_hidden; k++)
        if (t->hidden[k] < 1 || t->hidden[k] > BML_SAMPLE__MAX_WIDTH) return 0;
    return t->target > 0 && t->conditions >= 1 && t->conditions <= 1 << 20 && t->points >= 1 && t->points <= 1 << 10 &&
           t->epochs >= 1 && t->batch >= 1 && t->batch <= 1 << 24 && t->learning_rate > 0 && t->learning_rate <= 1 &&
           t->threads >= 0;
}

/* The head of the flat array; returns its length. */
static size_t bml_sample__head(float *to, const bml_sample_training *t) {
    size_t at = 0;
    to[at++] = BML_SAMPLE__MAGIC;
    to[at++] = 1;
    to[at++] = (float)t->n_dim;
    to[at++] = (float)t->n_z;
    to[at++] = (float)t->n_hidden;
    for (int k = 0; k < t->n_hidden; k++)
        to[at++] = (float)t->hidden[k];
    for (int k = 0; k < t->n_dim; k++)
        to[at++] = (float)t->lower[k];
    for (int k = 0; k < t->n_dim; k++)
        to[at++] = (float)t->upper[k];
    for (int k = 0; k < t->n_z; k++)
        to[at++] = (float)t->z_lower[k];
    for (int k = 0; k < t->n_z; k++)
        to[at++] = (float)t->z_upper[k];
    return at;
}

static int bml_sample__net_learn(bml_sample_net **net, double *loss, const bml_sample_training *training) {
    double worst = 0;
    double one = 0;
    int status = BML_SAMPLE_OK;
    if (!net) return BML_SAMPLE_BAD_ARGUMENT;
    *net = NULL;
    if (!training) return BML_SAMPLE_BAD_ARGUMENT;
    bml_sample_training t = *training;
    if (!bml_sample__train_arguments(&t)) return BML_SAMPLE_BAD_ARGUMENT;
    bml_sample_net shape;
    memset(&shape, 0, sizeof shape);
    shape.n_z = t.n_z;
    shape.n_hidden = t.n_hidden;
    memcpy(shape.width, t.hidden, (size_t)t.n_hidden * sizeof(int));
    size_t count = (size_t)(5 + t.n_hidden + 2 * t.n_dim + 2 * t.n_z);
    for (int k = 0; k < t.n_dim; k++)
        count += bml_sample__subnet_size(&shape, k);
    float *array = (float *)bml_sample__alloc(count, sizeof(float), 1);
    if (!array) return BML_SAMPLE_NO_MEMORY;
    size_t at = bml_sample__head(array, &t);
    for (int k = 0; !status && k < t.n_dim; k++) {
        status = bml_sample__train_output(array + at, &one, &t, k);
        at += bml_sample__subnet_size(&shape, k);
        if (!(one <= worst)) worst = one;
    }
    if (loss) *loss = worst;
    if (!status) status = bml_sample_net_create(net, array, count, NULL);
    BML_SAMPLE_FREE(array);
    if (status) return status;
    if (!bml_sample__rises(*net, t.seed)) return BML_SAMPLE_NOT_MONOTONE;
    return worst <= t.target ? BML_SAMPLE_OK : BML_SAMPLE_NOT_CONVERGED;
}

BML_SAMPLE_DEF int bml_sample_net_train(bml_sample_net **net, double *loss, const bml_sample_training *training,
                                        char *why) {
    return bml_sample__say(why, bml_sample__net_learn(net, loss, training), "");
}
#endif /* BML_SAMPLE_TRAIN */
#undef BML_SAMPLE__PICK
#undef BML_SAMPLE__S_MAX
#endif /* BML_SAMPLE_IMPLEMENTATION */

/* CHANGES
   1.0  Compton by network, table and inversion; tables, grids, alias, rejection, networks; sources of electrons and
   photons

   LICENCE
   Public domain (Unlicense) or MIT No Attribution, as you like: use, copy, change, sell it with or without this text.
   It comes as it is, without warranty of any kind. */
