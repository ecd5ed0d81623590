/* bml_sample.h: random draws from any distribution, and Compton scattering for Monte Carlo codes, in one file of C.

   Inverse-CDF tables made from a density or from samples, alias tables, networks; and, built in, the photon energies
   that electrons make of soft photons (Jones 1968), from Thomson to deepest Klein-Nishina regime, by a network of 105
   weights. Inline functions for kernels of your own, on the card too: energies, exact scattering with directions and
   polarisation, thermal electrons, quantum synchrotron radiation and pairs.

   In ONE source file:           #define BML_SAMPLE_IMPLEMENTATION
                                 #include "bml_sample.h"
   everywhere else just:         #include "bml_sample.h"        and link with -lm

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
           if (status) printf("%s\n", bml_sample_strerror(status));
           for (int i = 0; i < 1000000; i++) sum += energy[i];
           printf("mean %.4g m_e c^2, 4/3 gamma^2 eps0 is %.4g\n", sum / 1e6, 4.0 / 3 * 1e8 * 1e-9);
           return status;
       }

   It refuses, before anything is drawn: densities that are negative, NaN, zero everywhere or not integrable; gamma
   below 1, and from gamma = 20 on photons that cannot gain energy; u outside [0,1]; sizes that overflow. Link with -lm.
   No input or output, no globals, no threads, no clock: the same seed gives the same numbers. Compile with -O3: the
   batches are written for vector registers. It is right under -ffast-math and -Ofast too. */

/* ---- Setup, use, shutdown ------------------------------------------------------------------------------------------

   1. bml_sample_rng_init(&rng, seed, stream): one generator for each thread, or better for each block of work:
      different streams never overlap, cost nothing to make, and results then do not depend on the number of threads.
   2. Compton, whole arrays: bml_sample_comptonf (float) or bml_sample_compton (double). The methods: BML_SAMPLE_NET
      (default) and BML_SAMPLE_EXACT need nothing; BML_SAMPLE_TABLE is the fastest and needs bml_sample_compton_table
      once (a few ms, 32 KiB). bml_sample_compton_rates gives the probability of a step and the loss. Inside your own
      loop or kernel: bml_sample_compton_energy(gamma, eps0, u, &nodes) and the other inline functions, which take
      your own uniform numbers; in thermal matter bml_sample_thermal_step (bml_sample_thermal_table once).
   3. Your own density: bml_sample_table_create(&table, &config), bml_sample_table_draw(table, x, n, &rng), as often as
      wanted, bml_sample_table_free. With parameters: bml_sample_grid_create and so on. Discrete:
      bml_sample_alias_create.
   4. Your own density by a network, when a grid over its parameters would be too large: train it once (define
      BML_SAMPLE_TRAIN, see bml_sample_net_train), paste the array that bml_sample_net_write gives into your code, and
      there bml_sample_net_create(&net, array, count), bml_sample_net_draw.
   5. bml_sample_check_inverse tells how good any sampler is.

   ---- Options -------------------------------------------------------------------------------------------------------

   BML_SAMPLE_IMPLEMENTATION          this file gives the functions, not only their declarations
   BML_SAMPLE_STATIC                  all functions static (define with the above)
   BML_SAMPLE_MALLOC(n), BML_SAMPLE_REALLOC(p, n), BML_SAMPLE_FREE(p)     all three or none; default: the C library's
   BML_SAMPLE_FUNC                    qualifier of the inline functions; default: nothing; in CUDA and HIP
                                      __host__ __device__
   BML_SAMPLE_TRAIN                   the training of networks too; includes bml_nn.h (BML_NN_IMPLEMENTATION is yours)
   BML_SAMPLE_IMPLEMENTED             defined where the functions exist already; define it yourself when you link them

   BML_SAMPLE_STATIC compiles faster: the compiler leaves out what the file does not call.

   ---- Mathematics ---------------------------------------------------------------------------------------------------

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
   Errors, measured by tests/test_sample.c over gamma 20...1e11, eps0 1e-13...1e2, largest of all: in CDF
       net 6e-5, table 1.1e-4, exact 1e-13; in the mean energy, relative, 2e-5 and 4e-5; in the mean of 1 - E 8e-5
       and 4e-4. Photons of whose spectrum only an end is left above eps0 (q(eps0) > 0.26 or eps0 > 0.9 gamma) are
       inverted exactly by all methods, which is slower (the inline functions collide them, as below gamma = 20). Float
       energies are 6e-8 of themselves apart: where all lie within 1 % of each other, that alone is 6e-6 of the CDF.
   The kernel itself holds for gamma >> 1: against exact two-body kinematics its CDF is wrong by 0.18 at gamma = 1.5,
   0.036 at 3, 0.003 at 10. So below gamma = 10 every photon is one exact collision (the cosine and the recoil drawn in
   the electron's rest frame, photons that lose energy included), and between 10 and 20 a share (20 - gamma)/10 of them.
   A collision needs several random numbers: they are those that Philox makes of (gamma, eps0, u). There the energy is a
   function of u with the right distribution, but does not rise with it, and of n numbers u there are n photons.
   When NOT to use it: for photons that are not isotropic: there draw with bml_sample_scatter, which is exact for one
   photon and one electron of given directions.

   Collisions. With 1 - mu and 1 + mu of the directions, carried apart, the rest frame has x = gamma eps0 (1 - beta mu)
   and 1 + cos = (1 - beta)(1 + mu)/(1 - beta mu); after scattering by t = 1 - cos at azimuth phi, with half angles a,
   b,  1 + cos' = 2 sin^2(a - b) + 8 sin a cos a sin b cos b cos^2(phi/2),
       eps = x r gamma [(1 - beta) + beta (1 + cos')],
   r = 1/(1 + x t): sums of positive terms at any gamma. Polarisation: Fano's matrix (McMaster 1961, Rev. Mod. Phys.
   33, 8). Thermal electrons (Juettner), the recoil and the hot cross section stand in tables that are cubic both
   ways: CDF errors below 1e-4, cross section 2e-4 (tested).

   Strong fields. An electron of quantum parameter chi emits photons of energy xi gamma with (Ritus 1985, J. Sov. Laser
   Res. 6, 497; Baier & Katkov 1968)
       dW/dxi = alpha/(sqrt(3) pi) (m c^2/hbar gamma) [int_y^inf K_5/3 + xi^2/(1-xi) K_2/3(y)],
       y = 2 xi/(3 chi (1-xi)),
   and a photon of energy eps [m c^2] and chi makes pairs with a share xi for the positron with
       dW/dxi = alpha/(sqrt(3) pi) (m c^2/hbar eps) [(xi/(1-xi) + (1-xi)/xi) K_2/3(y) + int_y^inf K_1/3],
       y = 2/(3 chi xi (1-xi)).
   Tables of the integrals and of the inverse CDFs, to 1e-4.

   Float numbers near E = 1: eps itself can no longer tell 1 - E from 0. Ask for `rest`, which is 1 - E with full
   relative precision, and gives the electron gamma rest + eps0.

   Tables (1-D). The density becomes Legendre series of degree 15 on panels that are halved until the integrals of both
   halves agree with the whole; the inverse CDF then polynomials of degree 5 in u through Chebyshev points in x, each as
   long as the tolerance allows (as in Derflinger, Hoermann & Leydold 2010, ACM TOMACS 20, 18). The error reported is
   the largest met at two points between nodes, and 6 % for what is between those. Infinite ranges are cut where less
   than 3 % of the tolerance is beyond.
   Cells (n dimensions). Boxes are halved where a linear density misses most; a box is drawn by an alias table, the
   point in it uniformly and reflected with the probability that makes it linear. Parameters: the nodes around Z are
   chosen at random with their weights.
   Grids (parameters Z): inverse CDFs at the nodes of a regular grid of Z, in the coordinate v = (2/pi) asin sqrt(u),
   in which a density that ends with a step or linearly gives a smooth x; multilinear in Z and v.
   Networks: x_k = lo + (hi-lo) [v + v (1-v) N_k(v, x_1..x_k-1, Z)]: exact at both ends by construction, increasing in
   u by check. Trained on the loss mean (C_k(x_k | x_1..k-1, Z) - u_k)^2 (Charles & Chen 2024, "camel" of connected
   networks).
   Alias (Walker 1977, ACM Trans. Math. Softw. 3, 253; the tables as Vose 1991, IEEE Trans. Softw. Eng. 17, 972).
   Ratio of uniforms (Kinderman & Monahan 1977, ACM Trans. Math. Softw. 3, 257): (s, v) uniform where s^2 <= p(v/s).

   Float functions inside: log and exp(x)-1 to 1 and 2 ulp of their result, tanh to 2e-6 (tested over their ranges). */
#ifndef BML_SAMPLE_H
#define BML_SAMPLE_H
#define BML_SAMPLE_VERSION 200 /* 0.2.0: 10000 major + 100 minor + patch */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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
#ifndef BML_SAMPLE_FUNC
#if defined(__CUDACC__) || defined(__HIPCC__)
#define BML_SAMPLE_FUNC __host__ __device__
#else
#define BML_SAMPLE_FUNC
#endif
#endif

/* ---- API: status ------------------------------------------------------------------------------------------------ */
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

/* ---- API: random numbers -------------------------------------------------------------------------------------------
   Philox4x32-10 (Salmon et al. 2011, SC11, "Parallel random numbers: as easy as 1, 2, 3"), the same text and the same
   numbers in every bml header. (seed, stream) names a sequence; sequences do not overlap: word 0 of the counter counts
   blocks of four numbers, words 1 and 2 are the stream, word 3 starts at 2^32 - 1 and is lowered when word 0 wraps, so
   that small values of it are free for the header's own streams. A generator is plain data: copy it to save it. */

typedef struct bml_sample_rng {
    uint32_t key[2];     /* the seed */
    uint32_t counter[4]; /* of the next block */
    uint32_t block[4];   /* the present one */
    uint32_t used;       /* how many of its four words are spent */
} bml_sample_rng;

/* out[4] = the block of counter[4] under key[2]. */
BML_SAMPLE_DEF void bml_sample_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key);
/* The beginning of sequence (seed, stream). */
BML_SAMPLE_DEF void bml_sample_rng_init(bml_sample_rng *rng, uint64_t seed, uint64_t stream);
/* The next 32 random bits. */
BML_SAMPLE_DEF uint32_t bml_sample_rng_u32(bml_sample_rng *rng);
/* Uniform in (0, 1), never 0 or 1: (k + 1/2)/2^52. */
BML_SAMPLE_DEF double bml_sample_rng_uniform(bml_sample_rng *rng);
/* Normal, mean 0, standard deviation 1 (Box & Muller 1958). */
BML_SAMPLE_DEF double bml_sample_rng_normal(bml_sample_rng *rng);

/* density ~ x^(k-1) e^-x, k = twice/2, twice >= 1 */
BML_SAMPLE_DEF double bml_sample_rng_gamma(bml_sample_rng *rng, int twice);
/* n uniforms, or normals, at once, faster; whole blocks are used up, so that the next draw starts a new one. n >= 0. */
BML_SAMPLE_DEF void bml_sample_rng_fill(double *u, size_t n, bml_sample_rng *rng);
BML_SAMPLE_DEF void bml_sample_rng_normals(double *x, size_t n, bml_sample_rng *rng);
/* Inline: four uniform numbers inside (0,1), of 23 bits, for kernels; a whole block of the generator. */
static inline BML_SAMPLE_FUNC void bml_sample_uniform4(float *u, bml_sample_rng *rng);
/* Inline: an isotropic direction[3] from two uniform numbers. */
static inline BML_SAMPLE_FUNC void bml_sample_isotropic(double *direction, double u, double v);

/* ---- API: Compton: isotropic photons and one electron ----------------------------------------------------------- */
enum { BML_SAMPLE_NET = 0, BML_SAMPLE_TABLE, BML_SAMPLE_EXACT };
enum { BML_SAMPLE__NT = 64 };
enum { BML_SAMPLE__NS = 128 };

typedef struct bml_sample_compton_nodes { /* 32 KiB, plain data; read only once made, so all threads may share it */
    float n[BML_SAMPLE__NS * BML_SAMPLE__NT];
    int ready;
} bml_sample_compton_nodes;
/* Makes the nodes of BML_SAMPLE_TABLE: milliseconds. BAD_ARGUMENT for NULL. */
BML_SAMPLE_DEF int bml_sample_compton_table(bml_sample_compton_nodes *nodes);

typedef struct bml_sample_photonsf {
    size_t n;           /* photons to draw */
    const float *gamma; /* [n] Lorentz factors of the electrons, 1 ... 1e11 */
    /* [n] photon energies before [m_e c^2], 1e-13 ... 1e2; from gamma = 20 on below gamma - 1/(4 gamma) */
    const float *eps0;
    int one_gamma;                         /* 1: there is only gamma[0], for all photons */
    int one_eps0;                          /* the same for eps0 */
    int method;                            /* BML_SAMPLE_NET, _TABLE, _EXACT */
    const bml_sample_compton_nodes *nodes; /* for BML_SAMPLE_TABLE */
    const float *u; /* [n] in [0,1]: the inverse CDF there (see above for gamma < 20); NULL: from rng */
    float *rest;    /* [n] takes 1 - eps/gamma, precise also near 0; NULL = not wanted */
    /* numbers from one photon to the next, for members of an array of structs; 0 = 1 */
    int gamma_stride;
    int eps0_stride;
    int u_stride;
    int rest_stride;
    int energy_stride;
} bml_sample_photonsf;
typedef struct bml_sample_photons { /* the same in double */
    size_t n;
    const double *gamma;
    const double *eps0;
    int one_gamma;
    int one_eps0;
    int method;
    const bml_sample_compton_nodes *nodes;
    const double *u;
    double *rest;
    int gamma_stride;
    int eps0_stride;
    int u_stride;
    int rest_stride;
    int energy_stride;
} bml_sample_photons;

/* Photon energies after scattering, energy[n] [m_e c^2]. All gamma, eps0 and u are checked first; after an error
   nothing has been written. rng may be NULL when u is given; a call takes whole blocks of four words from it, so that
   one call for n is another stream of numbers than n calls for 1. energy, rest must not overlap the inputs. Thread
   safe with an rng per thread. In float, from gamma = 20 on, energies keep eps0 <= eps to the bit, and eps <= gamma
   b/(1+b) up to 1e-6 of it. BAD_ARGUMENT, OUT_OF_DOMAIN (gamma or eps0; bml_sample_compton_find says which). */
BML_SAMPLE_DEF int bml_sample_comptonf(float *energy, const bml_sample_photonsf *how, bml_sample_rng *rng);
BML_SAMPLE_DEF int bml_sample_compton(double *energy, const bml_sample_photons *how, bml_sample_rng *rng);
/* Index of the first photon that is out of the domain; n if none is. */
BML_SAMPLE_DEF size_t bml_sample_compton_find(const bml_sample_photons *how);
BML_SAMPLE_DEF size_t bml_sample_compton_findf(const bml_sample_photonsf *how);

/* Inline, one photon: energy and *rest = 1 - eps/gamma at u in (0,1), by the nodes or, where they are NULL, by the
   net. No checks: gamma 1 ... 1e11, eps0 1e-13 ... 1e2. Ends of the spectrum (eps0 > gamma/4, about) are exact
   collisions. */
static inline BML_SAMPLE_FUNC float bml_sample_compton_step(float *rest, float gamma, float eps0, float u,
                                                            const bml_sample_compton_nodes *nodes);
static inline BML_SAMPLE_FUNC float bml_sample_compton_energy(float gamma, float eps0, float u,
                                                              const bml_sample_compton_nodes *nodes);
/* Inline: scatterings per second over n c sigma_T, to 2e-5 of the kernel's. */
static inline BML_SAMPLE_FUNC float bml_sample_compton_rate(float gamma, float eps0);

/* The CDF of the kernel at eps, to 1e-13, which the draws follow from gamma = 20 on: 0 at and below eps0, 1 at and
   above gamma b/(1+b). OUT_OF_DOMAIN, BAD_ARGUMENT. */
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

typedef struct bml_sample_event {
    double gamma;
    double eps0;
    double eps;
} bml_sample_event;
/* Direction out[3] of a photon that left with energy eps, given the electron's direction[3] (a unit vector; both may
   be the same array), by the head-on kinematics that the kernel assumes: within about 1/gamma of the electron's.
   OUT_OF_DOMAIN, BAD_ARGUMENT. */
BML_SAMPLE_DEF int bml_sample_compton_direction(double *out, const double *direction, const bml_sample_event *event,
                                                bml_sample_rng *rng);

/* ---- API: Compton: one photon and one electron, exact ----------------------------------------------------------- */
typedef struct bml_sample_collision {
    double gamma;           /* electron's Lorentz factor, 1 ... 1e11 */
    const double *electron; /* [3] unit vector, its direction; not looked at if gamma = 1 */
    double eps0;            /* photon's energy [m_e c^2], > 0 */
    const double *photon;   /* [3] unit vector, its direction */
} bml_sample_collision;
typedef struct bml_sample_scattered { /* eps + gamma = gamma0 + eps0 to 1e-12 */
    double eps;                       /* the photon's energy */
    double gamma;                     /* the electron's Lorentz factor */
    double minus;  /* 1 - cos between the photon and the electron's direction before; precise near 0 */
    double out[3]; /* the photon's direction */
} bml_sample_scattered;
typedef struct bml_sample_stokes {
    double q;       /* linear polarisation along axis (q > 0) or across it, over the intensity */
    double u;       /* along axis + 45 degrees */
    double v;       /* circular */
    double axis[3]; /* unit vector across the photon's direction */
} bml_sample_stokes;

/* *eps and out[3]: the photon after Klein-Nishina scattering in the electron's rest frame. The rate of such collisions
   is n c (1 - beta mu) bml_sample_klein_nishina(x) sigma_T, x = gamma eps0 (1 - beta mu). BAD_ARGUMENT. */
BML_SAMPLE_DEF int bml_sample_scatter(double *eps, double *out, const bml_sample_collision *collision,
                                      bml_sample_rng *rng);
/* The same with the electron's energy and, unless stokes is NULL, the polarisation: that of the photon after. */
BML_SAMPLE_DEF int bml_sample_scatter_stokes(bml_sample_scattered *after, bml_sample_stokes *stokes,
                                             const bml_sample_collision *collision, bml_sample_rng *rng);
/* Total cross section over sigma_T for a photon of energy x [m_e c^2] on an electron at rest, to 1e-13; NaN unless 0
   <= x <= 1e100. */
BML_SAMPLE_DEF double bml_sample_klein_nishina(double x);
/* Inline, x >= 0, to 3e-6: some 3 times an exp. */
static inline BML_SAMPLE_FUNC double bml_sample_klein_nishina_fast(double x);

/* ---- API: Compton: thermal electrons ---------------------------------------------------------------------------- */
enum { BML_SAMPLE__RECOIL_X = 64 };
enum { BML_SAMPLE__RECOIL_U = 128 };
enum { BML_SAMPLE__THERMAL_ROWS = 64 };
enum { BML_SAMPLE__THERMAL_U = 128 };
enum { BML_SAMPLE__HOT_ROWS = 64 };
enum { BML_SAMPLE__HOT_X = 64 };
enum { BML_SAMPLE__QED_CHI = 64 };
enum { BML_SAMPLE__QED_U = 128 };
typedef struct bml_sample_thermal_nodes { /* 80 KiB, plain data */
    float recoil[BML_SAMPLE__RECOIL_X * BML_SAMPLE__RECOIL_U];
    float momentum[BML_SAMPLE__THERMAL_ROWS * BML_SAMPLE__THERMAL_U];
    float cross_section[BML_SAMPLE__HOT_ROWS * BML_SAMPLE__HOT_X];
    int ready;
} bml_sample_thermal_nodes;
typedef struct bml_sample_medium {
    float theta; /* kT/(m_e c^2), 1e-4 ... 1e3 */
    const bml_sample_thermal_nodes *nodes;
} bml_sample_medium;
/* Makes the tables for theta 1e-4 ... 1e3 and photons to 1e6 m_e c^2: some 10 ms. BAD_ARGUMENT for NULL. */
BML_SAMPLE_DEF int bml_sample_thermal_table(bml_sample_thermal_nodes *nodes);
/* Inline: a photon of energy eps0 and direction photon[3] meets a thermal electron, as likely as cross section and
   motion make it, and is scattered: *after. stokes may be NULL. */
static inline BML_SAMPLE_FUNC void bml_sample_thermal_step(bml_sample_scattered *after, bml_sample_stokes *stokes,
                                                           const bml_sample_medium *medium, double eps0,
                                                           const double *photon, bml_sample_rng *rng);
/* Inline: a collision at two uniform numbers, u for the recoil and v for the azimuth; no checks. */
static inline BML_SAMPLE_FUNC void bml_sample_scatter_at(bml_sample_scattered *after, const bml_sample_collision *how,
                                                         float u, float v, const bml_sample_thermal_nodes *nodes);
/* Inline: Lorentz factor of a thermal electron at u in (0,1). */
static inline BML_SAMPLE_FUNC double bml_sample_thermal_gamma(float theta, float u, const bml_sample_thermal_nodes *n);
/* Inline: cross section over sigma_T of thermal electrons for photons of energy x, averaged over (1 - beta mu). */
static inline BML_SAMPLE_FUNC float bml_sample_thermal_cross_section(float theta, float x,
                                                                     const bml_sample_thermal_nodes *n);
/* Inline: mean free path [cm] among n_e electrons/cm^3. */
static inline BML_SAMPLE_FUNC double bml_sample_mean_free_path(double n_e, float theta, float x,
                                                               const bml_sample_thermal_nodes *n);

/* ---- API: quantum synchrotron radiation and Breit-Wheeler pairs in a strong field ------------------------------- */
typedef struct bml_sample_qed_nodes { /* 65 KiB, plain data */
    float emission[BML_SAMPLE__QED_CHI * BML_SAMPLE__QED_U];
    float pair[BML_SAMPLE__QED_CHI * BML_SAMPLE__QED_U];
    float emission_rate[BML_SAMPLE__QED_CHI];
    float pair_rate[BML_SAMPLE__QED_CHI];
    int ready;
} bml_sample_qed_nodes;
/* Makes the tables, tens of ms: emission for chi 1e-4 ... 1e4, pairs for chi 1e-2 ... 1e6. BAD_ARGUMENT for NULL,
   NO_MEMORY. */
BML_SAMPLE_DEF int bml_sample_qed_table(bml_sample_qed_nodes *nodes);
/* Inline: the integral over xi of the bracket (see Mathematics); times alpha/(sqrt(3) pi) m c^2/(hbar gamma), which is
   1.0411e18/gamma per second, the photons emitted per second. */
static inline BML_SAMPLE_FUNC float bml_sample_emission_rate(float chi, const bml_sample_qed_nodes *n);
/* Inline: xi, the photon's share of the electron's energy, at u in (0,1). */
static inline BML_SAMPLE_FUNC float bml_sample_emission_energy(float chi, float u, const bml_sample_qed_nodes *n);
/* Inline: the same for pairs: the integral (times 1.0411e18/eps per second), and the positron's share of the energy. */
static inline BML_SAMPLE_FUNC float bml_sample_pair_rate(float chi, const bml_sample_qed_nodes *n);
static inline BML_SAMPLE_FUNC float bml_sample_pair_energy(float chi, float u, const bml_sample_qed_nodes *n);

/* ---- API: electrons and photons to scatter: x[n] each. BAD_ARGUMENT --------------------------------------------- */
/* Lorentz factors of a relativistic Maxwell (Juettner) distribution, gamma^2 beta e^(-gamma/theta), theta = kT/(m_e
   c^2), 1e-9 ... 1e9 (mixture of gamma distributions with rejection, at least 70 % accepted; Canfield, Howard & Liang
   1987, ApJ 323, 565). */
BML_SAMPLE_DEF int bml_sample_thermal_electrons(double *gamma, size_t n, double theta, bml_sample_rng *rng);
/* draw by number of photons, or by their energy (packets of equal energy) */
enum { BML_SAMPLE_PHOTONS = 0, BML_SAMPLE_ENERGY };
/* h nu/(kT) of black-body photons, exact (mixture of gamma distributions over the terms of 1/(e^x - 1)). */
BML_SAMPLE_DEF int bml_sample_black_body(double *x, size_t n, int weight, bml_sample_rng *rng);

typedef struct bml_sample_synchrotron {
    double ln_x[512];
    double ln_below[512];
    double ln_above[512];
    double slope_below[512];
    double slope_above[512];
    int ready;
} bml_sample_synchrotron; /* plain data, read only once made */
/* For x = nu/nu_c of one electron: F(x) = x int_x^inf K_5/3, drawn as F(x)/x (PHOTONS) or F(x) (ENERGY). A few
   milliseconds. CDF error 1e-7 (tested). */
BML_SAMPLE_DEF int bml_sample_synchrotron_init(bml_sample_synchrotron *table, int weight);
/* x[n] at u[n]; u = NULL: from rng. */
BML_SAMPLE_DEF int bml_sample_synchrotron_draw(double *x, const double *u, size_t n,
                                               const bml_sample_synchrotron *table, bml_sample_rng *rng);

typedef struct bml_sample_power {
    double lower; /* 0 < lower < upper */
    double upper;
    double index;    /* density ~ x^-index */
    double break_at; /* 0 = none; else in (lower, upper): above it the density goes on as x^-index_above */
    double index_above;
} bml_sample_power;
/* x[n] at u[n]; u = NULL: from rng. Indices within +-1000, also 1 and near it. */
BML_SAMPLE_DEF int bml_sample_power_law(double *x, const double *u, size_t n, const bml_sample_power *power,
                                        bml_sample_rng *rng);

/* ---- API: any density ------------------------------------------------------------------------------------------- */
/* p[n], any normalisation, >= 0 and finite, at x[n][n_dim] (1-D: x[n]) for the parameters z[n_z] (NULL if there are
   none). */
typedef void (*bml_sample_density)(double *p, const double *x, const double *z, int n, void *user);

typedef struct bml_sample_table bml_sample_table;
typedef struct bml_sample_table_config {
    bml_sample_density density;
    void *user;
    const double *z; /* handed to density */
    double lower;    /* lower < upper; -INFINITY and INFINITY where it has tails */
    double upper;
    double tolerance;     /* of the CDF, 1e-12 ... 0.1; 0 = 1e-7 */
    int max_intervals;    /* 0 = 65536 */
    double centre;        /* where the density is large: looked at closely; 0 = 0 where it is inside, else the middle */
    const double *breaks; /* [n_breaks] in (lower, upper), ascending: jumps, kinks, narrow peaks; NULL = none */
    int n_breaks;
    int look; /* points in which narrow peaks are looked for; 0 = 131072, 1 = none */
} bml_sample_table_config;

/* Every function that makes an object takes last
       char *why    [BML_SAMPLE_MESSAGE], or NULL: the reason of a failure as text, "" after success
   After a failure the object is NULL and nothing is to be freed; NOT_CONVERGED and NOT_MONOTONE come with both. */
/* Makes a table. The density is looked at in `look` points evenly over the range (over each octave from the centre of
   an infinite one): a peak that is narrower than their distance may be missed, unless the centre or a break lies in
   it. It is never evaluated at the ends of the range or at breaks: it may be infinite there. BAD_ARGUMENT, BAD_DENSITY,
   ZERO_DENSITY, NOT_INTEGRABLE, NO_MEMORY; NOT_CONVERGED (usable; the error is larger). */
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

/* ---- API: a density with parameters, on a grid ------------------------------------------------------------------ */
enum { BML_SAMPLE_MAX_Z = 6 };
enum { BML_SAMPLE_MAX_DIM = 8 };
typedef struct bml_sample_grid bml_sample_grid;
typedef struct bml_sample_grid_config {
    bml_sample_density density;
    void *user;
    double lower; /* of x */
    double upper;
    int n_z;               /* 1 ... BML_SAMPLE_MAX_Z */
    const double *z_lower; /* [n_z] */
    const double *z_upper; /* [n_z] */
    const int *z_nodes;    /* [n_z] 2 and more each */
    int u_nodes;           /* 0 = 257 */
} bml_sample_grid_config;
/* Makes the inverse CDFs at all nodes (u_nodes times the product of z_nodes doubles), and measures the error of the
   CDF in the middle of the cells (at most 4096 of them, evenly chosen). Narrow peaks are not looked for. Errors as for
   tables; TOO_LARGE. */
BML_SAMPLE_DEF int bml_sample_grid_create(bml_sample_grid **grid, const bml_sample_grid_config *config, char *why);
BML_SAMPLE_DEF void bml_sample_grid_free(bml_sample_grid *grid);
BML_SAMPLE_DEF const char *bml_sample_grid_message(const bml_sample_grid *grid);
BML_SAMPLE_DEF double bml_sample_grid_error(const bml_sample_grid *grid); /* largest |C(x(u|Z)|Z) - u| that was met */
/* x[n] for z[n][n_z], at u[n], or drawn where u is NULL. BAD_ARGUMENT (also: z outside the grid). */
BML_SAMPLE_DEF int bml_sample_grid_draw(const bml_sample_grid *grid, double *x, const double *z, const double *u,
                                        size_t n, bml_sample_rng *rng);

/* ---- API: a density of several dimensions, by adaptive cells ---------------------------------------------------- */
typedef struct bml_sample_cells bml_sample_cells;
typedef struct bml_sample_cells_config {
    bml_sample_density density; /* of x[n_dim] */
    void *user;
    int n_dim;             /* 1 ... 4 */
    int n_z;               /* parameters, 0 ... 3 */
    const double *lower;   /* [n_dim] */
    const double *upper;   /* [n_dim] */
    const double *z_lower; /* [n_z] */
    const double *z_upper; /* [n_z] */
    const int *z_nodes;    /* [n_z] 2 and more each; between nodes the density is linear in Z */
    double tolerance;      /* total variation from the density, 1e-4 ... 0.5; 0 = 2e-3 */
    int max_cells;         /* for each node of Z; 0 = 65536 */
} bml_sample_cells_config;
/* NOT_CONVERGED (usable) where max_cells did not do. BAD_ARGUMENT, BAD_DENSITY, ZERO_DENSITY, TOO_LARGE, NO_MEMORY. */
BML_SAMPLE_DEF int bml_sample_cells_create(bml_sample_cells **cells, const bml_sample_cells_config *config, char *why);
BML_SAMPLE_DEF void bml_sample_cells_free(bml_sample_cells *cells);
BML_SAMPLE_DEF const char *bml_sample_cells_message(const bml_sample_cells *cells);
BML_SAMPLE_DEF double bml_sample_cells_error(const bml_sample_cells *cells); /* total variation, at the nodes of Z */
BML_SAMPLE_DEF double bml_sample_cells_count(const bml_sample_cells *cells); /* cells of all nodes */
/* x[n][n_dim] for z[n_z] (one_z = 1) or z[n][n_z] (NULL if n_z = 0). BAD_ARGUMENT (also: z outside its range). */
BML_SAMPLE_DEF int bml_sample_cells_draw(const bml_sample_cells *cells, double *x, size_t n, const double *z, int one_z,
                                         bml_sample_rng *rng);

/* ---- API: discrete weights -------------------------------------------------------------------------------------- */
typedef struct bml_sample_alias bml_sample_alias;
/* weights[n] >= 0, finite, not all zero. BAD_DENSITY, ZERO_DENSITY, BAD_ARGUMENT,
   TOO_LARGE, NO_MEMORY. */
BML_SAMPLE_DEF int bml_sample_alias_create(bml_sample_alias **alias, const double *weights, size_t n, char *why);
BML_SAMPLE_DEF void bml_sample_alias_free(bml_sample_alias *alias);
/* index[n] in 0 ... number of weights - 1. BAD_ARGUMENT. */
BML_SAMPLE_DEF int bml_sample_alias_draw(const bml_sample_alias *alias, uint32_t *index, size_t n, bml_sample_rng *rng);

/* ---- API: reference methods: slow, and right for any density of which a bound is known -------------------------- */
typedef struct bml_sample_rejection {
    bml_sample_density density;
    void *user;
    const double *z;
    double lower;
    double upper;
    double bound; /* density <= bound */
} bml_sample_rejection;
/* x[n]. BAD_ENVELOPE where the density exceeds its bound, BAD_DENSITY, NOT_CONVERGED after 1e7 proposals for one draw:
   then x is not to be used. */
BML_SAMPLE_DEF int bml_sample_reject(double *x, size_t n, const bml_sample_rejection *how, bml_sample_rng *rng);
typedef struct bml_sample_ratio {
    bml_sample_density density;
    void *user;
    const double *z;
    double s_max; /* density <= s_max^2 */
    double v_min; /* x sqrt(density) lies between; x is not limited */
    double v_max;
} bml_sample_ratio;
BML_SAMPLE_DEF int bml_sample_ratio_of_uniforms(double *x, size_t n, const bml_sample_ratio *how, bml_sample_rng *rng);

/* ---- API: networks ---------------------------------------------------------------------------------------------- */
typedef struct bml_sample_net bml_sample_net;
/* From array[count] as bml_sample_net_write or _train made it; copied. BAD_ARRAY, NO_MEMORY. */
BML_SAMPLE_DEF int bml_sample_net_create(bml_sample_net **net, const float *array, size_t count, char *why);
BML_SAMPLE_DEF void bml_sample_net_free(bml_sample_net *net);
BML_SAMPLE_DEF int bml_sample_net_dims(const bml_sample_net *net, int *n_z); /* n_dim; *n_z unless NULL */
/* lives as long as the net */
BML_SAMPLE_DEF const float *bml_sample_net_array(const bml_sample_net *net, size_t *count);
/* x[n][n_dim] at u[n][n_dim], or drawn where u is NULL, for z[n_z] (one_z = 1) or z[n][n_z]; z NULL if n_z = 0.
   Parameters outside the range trained on are refused. BAD_ARGUMENT. Thread safe on a const net. */
typedef struct bml_sample_net_call {
    size_t n;
    const float *u;
    const float *z;
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

/* ---- API: how good is a sampler? -------------------------------------------------------------------------------- */
/* y[n] of x[n]: an inverse CDF, or a CDF */
typedef void (*bml_sample_map)(double *y, const double *x, int n, void *user);
typedef struct bml_sample_quality {
    double max_error; /* of |C(x(u)) - u| over the values of u */
    double mean_error;
    double js;    /* Jensen-Shannon divergence [nats] of the density that x(u) implies from the true
                                     one, over bins of equal probability */
    size_t falls; /* how often x(u) fell with rising u; 0 = monotone as far as seen */
} bml_sample_quality;
/* At n values of u (0 = 100,000), over `bins` bins (0 = 200): no random numbers, no noise. BAD_ARGUMENT, NO_MEMORY. */
typedef struct bml_sample_check {
    bml_sample_map inverse;
    bml_sample_map cdf;
    void *user;
    int n;
    int bins;
} bml_sample_check;
BML_SAMPLE_DEF int bml_sample_check_inverse(bml_sample_quality *quality, const bml_sample_check *check);
/* Jensen-Shannon divergence [nats] of a histogram counts[bins] from its probabilities prob[bins] (sum 1), with what
   pure noise would give: mean (bins-1)/(8 N) and sd sqrt(2 (bins-1))/(8 N), N counts in all, true when expected counts
   are 5 and more. BAD_ARGUMENT. */
typedef struct bml_sample_divergence {
    double js;
    double noise;
    double noise_sd;
} bml_sample_divergence;
BML_SAMPLE_DEF int bml_sample_histogram(bml_sample_divergence *out, const double *counts, const double *prob, int bins);

/* ---- API: training (BML_SAMPLE_TRAIN) --------------------------------------------------------------------------- */
#ifdef BML_SAMPLE_TRAIN
typedef struct bml_sample_progress {
    int output;
    int n_outputs;
    int epoch;
    int epochs;
    double loss;
    double target;
} bml_sample_progress;
typedef struct bml_sample_training {
    bml_sample_density density; /* of x[n_dim], for z[n_z] */
    void *user;
    int n_dim;             /* 1 ... 3 */
    int n_z;               /* 0 ... BML_SAMPLE_MAX_Z */
    const double *lower;   /* [n_dim] */
    const double *upper;   /* [n_dim] */
    const double *z_lower; /* [n_z] */
    const double *z_upper; /* [n_z] */
    const int *hidden;     /* [n_hidden] widths of the hidden layers; NULL = 32, 32, 32 */
    int n_hidden;          /* up to 8 */
    double target;         /* the loss at which training ends; 0 = 1e-6 */
    int conditions;        /* values of (Z, x_1..k-1) for which CDFs are made; 0 = 256 */
    int points;            /* values of u for each; 0 = 64 */
    int epochs;            /* at most; 0 = 2000 */
    int batch;             /* rows at first; 0 = 32; it doubles three times, evenly over the epochs */
    double learning_rate;  /* 0 = 1e-2, falling to 1 % along a cosine */
    int threads;           /* 0 = 1 */
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

/* ---- API: calls without a reason -----------------------------------------------------------------------------------
   The last argument, why, may be left out: bml_sample_table_create(a, b) is a call of version 0.1, and means NULL. */
#define BML_SAMPLE_WHY_OPTIONAL_2(function, a, b, why, ...) function(a, b, why)
#define BML_SAMPLE_WHY_OPTIONAL_3(function, a, b, c, why, ...) function(a, b, c, why)
#define BML_SAMPLE_WHY_OPTIONAL_4(function, a, b, c, d, why, ...) function(a, b, c, d, why)
#define bml_sample_table_create(...) BML_SAMPLE_WHY_OPTIONAL_2(bml_sample_table_create, __VA_ARGS__, NULL, 0)
#define bml_sample_table_from_samples(...) \
    BML_SAMPLE_WHY_OPTIONAL_4(bml_sample_table_from_samples, __VA_ARGS__, NULL, 0)
#define bml_sample_grid_create(...) BML_SAMPLE_WHY_OPTIONAL_2(bml_sample_grid_create, __VA_ARGS__, NULL, 0)
#define bml_sample_cells_create(...) BML_SAMPLE_WHY_OPTIONAL_2(bml_sample_cells_create, __VA_ARGS__, NULL, 0)
#define bml_sample_alias_create(...) BML_SAMPLE_WHY_OPTIONAL_3(bml_sample_alias_create, __VA_ARGS__, NULL, 0)
#define bml_sample_net_create(...) BML_SAMPLE_WHY_OPTIONAL_3(bml_sample_net_create, __VA_ARGS__, NULL, 0)
#define bml_sample_net_train(...) BML_SAMPLE_WHY_OPTIONAL_3(bml_sample_net_train, __VA_ARGS__, NULL, 0)

/* ---- end of API ---- */

#include <float.h>
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "bml_sample.h: needs FLT_EVAL_METHOD 0, float that is float: i386: -msse2 -mfpmath=sse; s390x: -std=gnu99"
#endif

/* ---- inline functions: what the declarations above marked "inline" do ----
   Present wherever this file is included, whether or not its implementation is. They hold under every optimisation,
   fast mathematics included: NaN and infinity are told by their bits, indices are clamped as integers, and no
   difference of nearly equal numbers carries a result. */

static inline BML_SAMPLE_FUNC uint32_t bml_sample__bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline BML_SAMPLE_FUNC float bml_sample__float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline BML_SAMPLE_FUNC uint64_t bml_sample__bits64(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* low <= x <= high for 0 < low: positive numbers stand in the order of their bits, NaN and infinity above them. */
static inline BML_SAMPLE_FUNC int bml_sample__withinf(float x, float low, float high) {
    uint32_t first = bml_sample__bits(low);
    return bml_sample__bits(x) - first <= bml_sample__bits(high) - first;
}

static inline BML_SAMPLE_FUNC int bml_sample__within(double x, double low, double high) {
    uint64_t first = bml_sample__bits64(low);
    return bml_sample__bits64(x) - first <= bml_sample__bits64(high) - first;
}

/* Choices told by integers: those told by comparing floats keep compilers from vector registers, unless they are told
   that no comparison traps. */
static inline BML_SAMPLE_FUNC float bml_sample__choose(int which, float yes, float no) {
    uint32_t mask = (uint32_t)0 - (uint32_t)which; /* which: 0 or 1 */
    return bml_sample__float((bml_sample__bits(yes) & mask) | (bml_sample__bits(no) & ~mask));
}

/* The smaller and the larger of two, one of which is not negative. */
static inline BML_SAMPLE_FUNC float bml_sample__least(float x, float y) {
    int32_t a = (int32_t)bml_sample__bits(x);
    int32_t b = (int32_t)bml_sample__bits(y);
    return bml_sample__float((uint32_t)(a < b ? a : b));
}

static inline BML_SAMPLE_FUNC float bml_sample__most(float x, float y) {
    int32_t a = (int32_t)bml_sample__bits(x);
    int32_t b = (int32_t)bml_sample__bits(y);
    return bml_sample__float((uint32_t)(a > b ? a : b));
}

/* x < limit, limit > 0. */
static inline BML_SAMPLE_FUNC int bml_sample__is_below(float x, float limit) {
    return (int32_t)bml_sample__bits(x) < (int32_t)bml_sample__bits(limit);
}

/* Neither NaN nor infinite. */
static inline BML_SAMPLE_FUNC int bml_sample__finite(double x) {
    return (bml_sample__bits64(x) >> 52 & 0x7FF) != 0x7FF;
}

/* Finite and >= 0; -0 is. */
static inline BML_SAMPLE_FUNC int bml_sample__not_negative(double x) {
    uint64_t bits = bml_sample__bits64(x);
    return bits < (uint64_t)0x7FF << 52 || bits == (uint64_t)1 << 63;
}

/* 0 <= x <= 1. */
static inline BML_SAMPLE_FUNC int bml_sample__in_unitf(float x) {
    uint32_t bits = bml_sample__bits(x);
    return bits <= 0x3F800000u || bits == 0x80000000u;
}

static inline BML_SAMPLE_FUNC int bml_sample__in_unit(double x) {
    uint64_t bits = bml_sample__bits64(x);
    return bits <= (uint64_t)0x3FF << 52 || bits == (uint64_t)1 << 63;
}

/* a b + c, rounded once where the machine does it in one. */
static inline BML_SAMPLE_FUNC float bml_sample__fma(float a, float b, float c) {
#ifdef FP_FAST_FMAF
    return fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

/* x as it is, for any k from 0 to 255: a sum that fast mathematics may neither take apart nor put together with the
   next, because its rounding matters, or that it is exactly zero. */
static inline BML_SAMPLE_FUNC float bml_sample__as_summed(float x, int32_t k) {
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(_M_FP_FAST)
    return bml_sample__float(bml_sample__bits(x) + ((uint32_t)k >> 8));
#else
    (void)k;
    return x;
#endif
}

/* Point at share `at` of the way from lower to upper. */
static inline BML_SAMPLE_FUNC double bml_sample__between(double lower, double upper, double at) {
    return lower + at * (upper - lower);
}

static inline BML_SAMPLE_FUNC float bml_sample__betweenf(float lower, float upper, float at) {
    return bml_sample__fma(at, upper - lower, lower);
}

/* ln m + k ln 2 for m = 1 + r in [sqrt(1/2), sqrt(2)], to 1 ulp: a polynomial fitted here (weighted least squares,
   reweighted towards equal ripples), as the others below. */
static inline BML_SAMPLE_FUNC float bml_sample__log_of(int32_t k, float r) {
    float high = -0.165775847f + r * (0.149147679f + r * (-0.142674870f + r * 0.0870043592f));
    float p = 0.333339107f + r * (-0.250013370f + r * (0.199630638f + r * high));
    float octaves = (float)k * 0.693147181f;
    return octaves + (r + r * r * (r * p - 0.5f));
}

/* Splits a positive normal x into 2^k m. */
static inline BML_SAMPLE_FUNC float bml_sample__split(int32_t *k, float x) {
    uint32_t bits = bml_sample__bits(x);
    uint32_t exponent = (bits - 0x3F3504F3u + 0x3F800000u) >> 23;
    *k = (int32_t)exponent - 127;
    return bml_sample__float(bits - (exponent << 23) + 0x3F800000u);
}

static inline BML_SAMPLE_FUNC float bml_sample__logf(float x) {
    int32_t k;
    float m = bml_sample__split(&k, x);
    return bml_sample__log_of(k, m - 1);
}

/* log(1 + x), x >= 0: where 1 + x has the exponent of 1, x itself is the argument, so that nothing is lost. */
static inline BML_SAMPLE_FUNC float bml_sample__log1pf(float x) {
    int32_t k;
    float m = bml_sample__split(&k, 1 + x);
    return bml_sample__log_of(k, bml_sample__choose(k == 0, x, m - 1));
}

/* exp(-x) and 1 - exp(-x), 0 <= x <= 80, both with relative precision; the second is no difference where x is small. */
static inline BML_SAMPLE_FUNC float bml_sample__expf(float *one_minus, float x) {
    int32_t k = (int32_t)(x * 1.44269504f + 0.5f);
    float scale = bml_sample__float((uint32_t)(127 - k) << 23);
    float most = bml_sample__as_summed((float)k * 0.693359375f - x, k); /* ln 2 in two parts */
    float r = most - (float)k * 2.12194440e-4f;
    float high = 0.166665387f + r * (0.0416672213f + r * (0.00836718086f + r * 0.00138823958f));
    float p = r + r * r * (0.499999980f + r * high);
    float whole = scale + scale * p;
    *one_minus = bml_sample__choose(k == 0, -p, 1 - whole);
    return whole;
}

/* tanh to 2e-6: numerator and denominator. */
static inline BML_SAMPLE_FUNC float bml_sample__tanh_parts(float *below, float x) {
    uint32_t bits = bml_sample__bits(x);
    float size = bml_sample__least(bml_sample__float(bits & 0x7FFFFFFFu), 7.5f);
    x = bml_sample__float(bml_sample__bits(size) | (bits & 0x80000000u));
    float s = x * x;
    float below_high = 0.0207978224f + s * 1.36103200e-4f;
    float above_high = 0.00221871042f + s * 3.66293559e-6f;
    *below = 1 + s * (0.455668737f + s * below_high);
    return x * (0.999992914f + s * (0.122358796f + s * above_high));
}

/* One block of Philox4x32-10, as bml_sample_philox. */
static inline BML_SAMPLE_FUNC void bml_sample__block(uint32_t *out, const uint32_t *counter, const uint32_t *key) {
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
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* A 32-bit word as a number inside (0,1). */
static inline BML_SAMPLE_FUNC double bml_sample__word(uint32_t word) {
    return ((double)word + 0.5) * (1.0 / 4294967296.0);
}

static inline BML_SAMPLE_FUNC void bml_sample_uniform4(float *u, bml_sample_rng *rng) {
    uint32_t words[4];
    bml_sample__block(words, rng->counter, rng->key);
    rng->counter[0]++;
    if (rng->counter[0] == 0) {
        rng->counter[3]--;
    }
    rng->used = 4;
    for (int i = 0; i < 4; i++) {
        int32_t bits = (int32_t)(words[i] >> 9);
        u[i] = ((float)bits + 0.5f) * (1.0f / 8388608.0f);
    }
}

static inline BML_SAMPLE_FUNC void bml_sample_isotropic(double *direction, double u, double v) {
    double z = 2 * u - 1;
    double across = 2 * sqrt(u * (1 - u));
    direction[0] = across * cos(6.283185307179586 * v);
    direction[1] = across * sin(6.283185307179586 * v);
    direction[2] = z;
}

/* Cubic through the four nodes around t in [0,1], at -1, 0, 1, 2 (Lagrange). */
static inline BML_SAMPLE_FUNC void bml_sample__cubic(float *weight, float t) {
    float before = t + 1;
    float after = 1 - t;
    float last = 2 - t;
    weight[0] = -t * after * last * (1.0f / 6);
    weight[1] = before * after * last * 0.5f;
    weight[2] = before * t * last * 0.5f;
    weight[3] = -before * t * after * (1.0f / 6);
}

/* Index of the second of the four nodes around x, 1 ... n - 3, for any x. */
static inline BML_SAMPLE_FUNC int32_t bml_sample__node_below(float x, int n) {
    uint32_t i = (uint32_t)(int32_t)x;
    uint32_t last = (uint32_t)(n - 3);
    i = i < last ? i : last; /* negative numbers are large here, and were below 0 */
    i = x >= 1 ? i : 1;
    return (int32_t)(i > 1 ? i : 1);
}

/* a[][columns] at (row, column) in steps between nodes, cubic both ways. */
static inline BML_SAMPLE_FUNC float bml_sample__surface(const float *a, int rows, int columns, float row,
                                                        float column) {
    float down[4];
    float along[4];
    int32_t i = bml_sample__node_below(row, rows);
    int32_t k = bml_sample__node_below(column, columns);
    bml_sample__cubic(down, row - (float)i);
    bml_sample__cubic(along, column - (float)k);
    float sum = 0;
    for (int r = 0; r < 4; r++) {
        const float *at = a + (i + r - 1) * columns + k - 1;
        float left = along[0] * at[0] + along[1] * at[1];
        sum += down[r] * (left + along[2] * at[2] + along[3] * at[3]);
    }
    return sum;
}

/* Steps and ends of the tables' coordinates: ln theta from 1e-4 over 7 decades, ln x from 1e-6 over 12, ln chi over
   8. */
static const float bml_sample__recoil_top = 0.97f;
static const float bml_sample__thermal_top = 5.0f;
static const float bml_sample__ln_theta = -9.21034037f;
static const float bml_sample__ln_thetas = 16.1180957f;
static const float bml_sample__ln_x = -13.8155106f;
static const float bml_sample__ln_xs = 27.6310211f;
static const float bml_sample__ln_chi = -9.21034037f;
static const float bml_sample__ln_chi_pair = -4.60517019f;
static const float bml_sample__ln_chis = 18.4206807f;
static const float bml_sample__s_max = 0.887f; /* s of Jones' kernel at b = 4e13 is 0.88673 */

/* ---- inline: Klein-Nishina ---- */

/* Total cross section over sigma_T to 3e-6, x >= 0: ln(1+2x)/(2x), which has its limits, times a rational function of
   s = L/(L+3), L = ln(1+2x). */
static inline BML_SAMPLE_FUNC double bml_sample_klein_nishina_fast(double x) {
    double L = (double)bml_sample__log1pf((float)(2 * x));
    double s = L / (L + 3);
    double above = 16.5815223 + s * -3.06900989;
    above = 48.1043588 + s * (-37.749147 + s * above);
    double below = 7.29010016 + s * (-2.99288308 + s * 0.671199689);
    above = 19.4475133 + s * (-38.0494898 + s * above);
    above = 0.999999867 + s * (-6.23023995 + s * above);
    below = 9.65273763 + s * (-10.8435247 + s * below);
    below = 1 + s * (-4.73026103 + s * below);
    double first = x > 1e-30 ? L / (2 * x) : 1;
    return first * above / below;
}

/* What a photon is before a collision, in the frame of the electron at rest: its energy and 1 + cos of its direction to
   the electron's velocity, the second without cancellation: (1 - beta)(1 + mu)/(1 - beta mu). */
typedef struct bml_sample__meeting {
    double gamma;
    double beta;
    double slow; /* 1 - beta */
    double x;
    double plus;
    double minus; /* 1 - cos */
} bml_sample__meeting;

/* minus = 1 - mu, plus = 1 + mu, mu the cosine of photon and electron in the lab. */
static inline BML_SAMPLE_FUNC void bml_sample__meet(bml_sample__meeting *m, double gamma, double eps0, double minus,
                                                    double plus) {
    m->gamma = gamma;
    m->beta = sqrt((gamma - 1) * (gamma + 1)) / gamma;
    m->slow = 1 / (gamma * gamma * (1 + m->beta));
    double closing = m->slow + m->beta * minus; /* 1 - beta mu */
    m->x = gamma * eps0 * closing;
    m->plus = m->slow * plus / closing;
    m->minus = (1 + m->beta) * minus / closing;
    m->plus = m->plus < 2 ? m->plus : 2;
    m->minus = m->minus < 2 ? m->minus : 2;
}

/* 1 + cos of the outgoing direction to the electron's velocity, in the rest frame. t = 1 - cos of the angle of
   scattering, half = cos^2(phi/2) of its azimuth. With plus = 2 sin^2 a and t = 2 sin^2 b it is
   2 sin^2(a - b) + 8 sin a cos a sin b cos b half: nothing cancels but inside a square. */
static inline BML_SAMPLE_FUNC double bml_sample__turned(const bml_sample__meeting *m, double t, double half) {
    double sin_a = sqrt(0.5 * m->plus);
    double cos_a = sqrt(0.5 * m->minus);
    double sin_b = sqrt(0.5 * t);
    double cos_b = sqrt(1 - 0.5 * t);
    double apart = sin_a * cos_b - cos_a * sin_b;
    double sum = 2 * apart * apart + 8 * sin_a * cos_a * sin_b * cos_b * half;
    return sum < 2 ? sum : 2;
}

/* The photon's energy in the lab after a collision: x r gamma (1 + beta cos),
   1 + beta cos = (1 - beta) + beta (1 + cos). */
static inline BML_SAMPLE_FUNC double bml_sample__lab_energy(const bml_sample__meeting *m, double t, double turned) {
    double r = 1 / (1 + m->x * t);
    return m->x * r * m->gamma * (m->slow + m->beta * turned);
}

/* One proposal of r = (energy after)/(energy before) for x in the rest frame; the density (1/r + r)(1 - r sin^2/(1 +
   r^2)) of r in [1/(1+2x), 1] is a mixture of 1/r and r, with rejection (Butcher & Messel 1960, Nucl. Phys. 20, 15).
   Returns 1 - cos of the angle, or -1 where it is rejected. u[3] uniform. */
static inline BML_SAMPLE_FUNC double bml_sample__recoil_try(double x, double u0, double u1, double u2) {
    double lowest = 1 / (1 + 2 * x);
    double first = log1p(2 * x);
    double second = 2 * x * (1 + x) * lowest * lowest; /* (1 - lowest^2)/2 */
    double r;
    double t;
    if (u0 * (first + second) < first) {
        double l = first * u1;
        r = exp(-l);
        t = expm1(l) / x; /* 1/r - 1 = x t */
    } else {
        double lose = 2 * x * lowest; /* 1 - lowest */
        r = sqrt(lowest * lowest + lose * (1 + lowest) * u1);
        double squares = (1 - u1) * lose * (1 + lowest); /* 1 - r^2 */
        t = squares / ((1 + r) * r * x);                 /* 1 - r = (1 - r^2)/(1 + r) */
    }
    t = t < 2 ? t : 2;
    double bound = 1 + r * r;
    double density = bound - r * t * (2 - t);
    return u2 * bound > density ? -1 : t;
}

/* ---- inline: Compton energies out of isotropic photons ---- */

/* Energy after an exact collision of an electron with one of isotropic photons, in units of m_e c^2. Its random numbers
   are those that Philox makes of name[4]: the photon's own energies and its uniform number, so that it is a function of
   them. */
static inline BML_SAMPLE_FUNC double bml_sample__two_body(double gamma, double eps0, const uint32_t *name) {
    uint32_t counter[4] = {name[2], name[3], 0, 0x626D6C00u};
    uint32_t w[4];
    bml_sample__meeting m;
    double beta = sqrt((gamma - 1) * (gamma + 1)) / gamma;
    double slow = 1 / (gamma * gamma * (1 + beta));
    double smallest = bml_sample_klein_nishina_fast(gamma * eps0 * slow);
    double most = gamma * eps0 * (1 + beta);
    double largest = most * bml_sample_klein_nishina_fast(most);
    double u;
    double take;
    double closing; /* 1 - beta mu, density closing sigma(x), x = gamma eps0 closing; x sigma rises, sigma falls */
    do {
        bml_sample__block(w, counter, name);
        counter[2]++;
        u = bml_sample__word(w[0]);
        double even = slow + 2 * beta * u;
        double rising = sqrt(slow * slow + 4 * beta * u);
        closing = most > 2 ? even : rising;
        double x = gamma * eps0 * closing;
        double sigma = bml_sample_klein_nishina_fast(x);
        take = most > 2 ? x * sigma / largest : sigma / smallest;
    } while (bml_sample__word(w[1]) > take);
    double minus = beta > 0 ? (closing - slow) / beta : 2 * u;
    minus = minus > 0 ? minus : 0;
    minus = minus < 2 ? minus : 2;
    bml_sample__meet(&m, gamma, eps0, minus, 2 - minus);
    double half = cos(3.141592653589793 * bml_sample__word(w[3]));
    double t;
    do {
        bml_sample__block(w, counter, name);
        counter[2]++;
        double choice = bml_sample__word(w[0]);
        double energy = bml_sample__word(w[1]);
        t = bml_sample__recoil_try(m.x, choice, energy, bml_sample__word(w[2]));
    } while (t < 0);
    double eps = bml_sample__lab_energy(&m, t, bml_sample__turned(&m, t, half * half));
    double all = gamma + eps0;
    return eps < all ? eps : all;
}

/* Below gamma = 10 all photons are those of exact collisions, from 20 on those of Jones' kernel; between, a share. */
static const float bml_sample__exact_to = 10;
static const float bml_sample__kernel_from = 20;

/* 1 where the photon of this name is an exact collision's. */
static inline BML_SAMPLE_FUNC int bml_sample__collides(double gamma, double eps0, const uint32_t *name) {
    uint32_t counter[4] = {name[2], name[3], 0, 0x626D6C01u};
    uint32_t w[4];
    if (gamma >= (double)bml_sample__kernel_from) {
        return 0;
    }
    if (gamma <= (double)bml_sample__exact_to || (gamma - eps0) * gamma <= 0.25) {
        return 1;
    }
    bml_sample__block(w, counter, name);
    double span = (double)(bml_sample__kernel_from - bml_sample__exact_to);
    return bml_sample__word(w[0]) * span < (double)bml_sample__kernel_from - gamma;
}

static inline BML_SAMPLE_FUNC void bml_sample__namef(uint32_t *name, float gamma, float eps0, float u, float v) {
    name[0] = bml_sample__bits(gamma);
    name[1] = bml_sample__bits(eps0);
    name[2] = bml_sample__bits(u);
    name[3] = bml_sample__bits(v);
}

static inline BML_SAMPLE_FUNC float bml_sample__two_bodyf(float *rest, float gamma, float eps0, float u, float v) {
    uint32_t name[4];
    bml_sample__namef(name, gamma, eps0, u, v);
    double eps = bml_sample__two_body((double)gamma, (double)eps0, name);
    *rest = (float)(((double)gamma - eps) / (double)gamma);
    return (float)eps;
}

static inline BML_SAMPLE_FUNC int bml_sample__collidesf(float gamma, float eps0, float u, float v) {
    uint32_t name[4];
    bml_sample__namef(name, gamma, eps0, u, v);
    return bml_sample__collides((double)gamma, (double)eps0, name);
}

/* G = int f dE from 0 to eps0, without its share of eps0/gamma, and q there: closed forms for E >= 1/8, short series
   below. Clamped where E < 1e-6 or q < 1e-9, far below what matters. */
static inline BML_SAMPLE_FUNC float bml_sample__start(float *q_start, float g, float e) {
    float d = g - e;
    float one = 1 / (g * d * e);
    float whole = e * e * d * one; /* E */
    float E = whole;
    float z = e * e * g * one;
    float q = 0.25f * e * one;
    float one_E = g * g * d * one;
    float one_z = d * d * g * one;
    *q_start = bml_sample__choose(bml_sample__is_below(E, 0.9f), q, 1);
    E = bml_sample__most(E, 1e-6f);
    z = bml_sample__most(z, 1e-6f);
    q = bml_sample__most(q, 1e-9f);
    one_E = bml_sample__least(one_E, 1e6f);
    one_z = bml_sample__least(one_z, 1e6f);
    float l = bml_sample__log1pf(z);
    float ln_q = bml_sample__logf(q);
    float om = 1 - E;
    /* D/l^2 on 0 <= l <= 10.8, to 3e-6 */
    float D_above = 0.249999198f + l * (0.0621431243f + l * (0.0103371176f + l * 9.39750671e-4f));
    float D_below = 1 + l * (0.137409023f + l * (0.0262134346f + l * 0.00183597240f));
    float A_far = (l - E) * one_z * one_E;
    float M3_far = (z - 2 * l + E) * one_z * one_z * one_E;
    float M4_far = z - 3 * l + 2 * E + 0.5f * E * E;
    M4_far = M4_far * one_z * one_E;
    float A = 1.0f / 6 + E * (1.0f / 7);
    A = 1.0f / 4 + E * (1.0f / 5 + E * A);
    float M3 = 5.0f / 7 + E * (3.0f / 4);
    M3 = 3.0f / 5 + E * (2.0f / 3 + E * M3);
    float M4 = 1.0f / 2 + E * (4.0f / 7 + E * (5.0f / 8));
    A = om * (1.0f / 2 + E * (1.0f / 3 + E * A));
    M3 = 1.0f / 3 + E * (1.0f / 2 + E * M3);
    M3 = om * om * M3;
    M4 = 1.0f / 4 + E * (2.0f / 5 + E * M4);
    M4 = om * E * E * M4;
    int small_ = bml_sample__is_below(E, 0.125f);
    A = bml_sample__choose(small_, A, A_far);
    M3 = bml_sample__choose(small_, M3, M3_far);
    M4 = bml_sample__choose(small_, M4, M4_far);
    float squares = 2 * (l * one_z) * (l * one_E);
    float D = squares * D_above / D_below;
    float in_b = (1 + 2 * ln_q) * A - D - 0.5f * M4;
    float thomson = 0.5f * (l * one_E + 1 - 0.5f * E);
    return whole * (thomson + q * in_b - 2 * q * q * M3);
}

/* L/G(L), a rational function of s = L/(L+4), to 2e-5: numerator and denominator. */
static inline BML_SAMPLE_FUNC float bml_sample__per_total_parts(float *divisor, float s) {
    float above = bml_sample__fma(s, 11.2950671f, -13.4001478f);
    float below = bml_sample__fma(s, 3.49805868f, 0.188001027f);
    above = bml_sample__fma(s, bml_sample__fma(s, above, 0.335458043f), 11.7783149f);
    below = bml_sample__fma(s, bml_sample__fma(s, below, -7.06729610f), 7.91021191f);
    above = bml_sample__fma(s, bml_sample__fma(s, above, -9.84568419f), 2.99994936f);
    *divisor = bml_sample__fma(s, bml_sample__fma(s, below, -3.95100920f), 1);
    return above;
}

static inline BML_SAMPLE_FUNC float bml_sample__per_total(float s) {
    float below;
    float above = bml_sample__per_total_parts(&below, s);
    return above / below;
}

/* What depends on gamma and eps0 alone: L = ln(1+b), s = L/(L+4), u_min and 1 - u_min, q(eps0). Where q is above 0.26
   (it is 1/4 at most where eps0 << gamma) or eps0 above 0.9 gamma, only an end of the spectrum is left: the
   approximations do not hold there, and low is 0. */
typedef struct bml_sample__pairf {
    float L;
    float s;
    float low;
    float high;
    float q;
} bml_sample__pairf;

static inline BML_SAMPLE_FUNC bml_sample__pairf bml_sample__prepare(float gamma, float eps0) {
    bml_sample__pairf p;
    float start = bml_sample__start(&p.q, gamma, eps0);
    p.L = bml_sample__log1pf(4 * gamma * eps0);
    p.s = p.L / (p.L + 4);
    float low = start * bml_sample__per_total(p.s) / p.L;
    p.low = p.q <= 0.26f ? low : 0;
    p.high = 1 - p.low;
    return p;
}

/* The 2-8-8-1 network N(t, s), made by `make train-compton`: kernels [in][out], then biases, layer after layer. */
static inline BML_SAMPLE_FUNC const float *bml_sample__weights(void) {
    static const float weights[105] = {
        4.34578001e+00f,  1.48637817e+00f,  4.16698836e+00f,  -5.58897542e-01f, -4.99762742e+00f, 2.24681829e+00f,
        -2.62784592e-01f, 7.41906915e-02f,  1.56623111e+00f,  -1.11570082e+00f, 3.72500061e+00f,  4.32924893e+00f,
        -5.33102130e+00f, 2.34971015e-01f,  -1.22664789e+00f, 3.74374202e+00f,  -1.88288205e+00f, 3.31876816e-01f,
        -2.86879886e+00f, -3.76896573e+00f, 4.97155940e+00f,  1.09066964e-01f,  5.20968775e-01f,  -1.90665865e+00f,
        -1.22385739e+00f, 1.29454515e-01f,  -1.42101197e-01f, -5.49591762e+01f, -1.01074390e-01f, -5.22144342e-01f,
        -2.63191317e-01f, 5.99114229e-01f,  -2.43010638e+00f, 1.90861240e+00f,  1.84416846e+00f,  1.12145273e+01f,
        -1.66790750e+00f, 3.08908251e+00f,  -4.03446825e-01f, -3.26651111e+00f, -1.48795192e+00f, -2.41842091e-01f,
        -1.53594207e-01f, 2.33979510e+01f,  -1.48251370e-01f, -3.08758141e-01f, -4.86888020e-01f, 3.35531624e-01f,
        -1.07308746e+00f, 1.85821357e-02f,  -6.16959243e-02f, -2.00141635e+01f, -4.80391389e-01f, 5.05489106e-01f,
        -8.70050122e-02f, -2.35414162e+00f, -8.84705777e-02f, 2.69343210e-01f,  8.07081610e-01f,  -1.68381985e+01f,
        -1.50671895e-01f, 1.09598473e+00f,  3.44086002e-01f,  -2.56108274e+00f, 6.18016568e+00f,  -2.30938748e+00f,
        -2.00903068e+00f, -7.31876926e+00f, -1.03255039e+00f, -2.32434619e+00f, 9.64209420e-01f,  3.42577531e+00f,
        -2.00356815e+00f, 1.32270880e+00f,  5.95454472e-01f,  -2.08374311e+01f, -2.68847556e+00f, -6.90815734e-01f,
        -3.06748856e+00f, 4.38203632e+00f,  -2.89847475e+00f, 6.45561255e-01f,  1.10394906e+00f,  -2.33136928e+00f,
        -1.15293155e+00f, 9.21561459e-01f,  -1.08489044e-01f, 1.90705510e-01f,  -6.63436864e-01f, 1.66790439e+00f,
        -5.00213927e-02f, -2.96143933e+01f, 1.71218178e+00f,  6.20035847e-01f,  -4.08714921e-01f, -2.90408429e-02f,
        -3.04549206e-01f, -5.49658746e-01f, 5.59251508e-01f,  -5.07068939e-01f, -4.43722473e-01f, -2.50103278e-01f,
        2.19800687e-01f,  3.34424483e-01f,  3.98731307e-01f};
    return weights;
}

#if (defined(__GNUC__) || defined(__clang__)) && !defined(__CUDACC__) && !defined(__HIPCC__)
/* Eight units side by side, so that one photon alone fills a vector register; compilers lay them so only when told. */
typedef float bml_sample__eight __attribute__((vector_size(32)));
typedef int32_t bml_sample__mask8 __attribute__((vector_size(32)));
typedef float bml_sample__four __attribute__((vector_size(16)));

/* gcc fuses vectors under -std=c99 only where it is told to, and then takes vectors alone. */
#if defined(__FMA__) && !defined(__clang__)
#define BML_SAMPLE__FMA8(a, b, c) __builtin_ia32_vfmaddps256(a, b, c)
#define BML_SAMPLE__ALL8(x) (none + (x))
#else
#define BML_SAMPLE__FMA8(a, b, c) ((a) * (b) + (c))
#define BML_SAMPLE__ALL8(x) (x)
#endif

/* Number k of x, eight times over where vectors are as wide. */
#if defined(__has_builtin) && defined(__AVX__)
#if __has_builtin(__builtin_shufflevector)
#define BML_SAMPLE__ONE8(half, k) __builtin_shufflevector(half, half, k, k, k, k, 4 + k, 4 + k, 4 + k, 4 + k)
#define BML_SAMPLE__UNITS8(x)                                                                  \
    const bml_sample__eight left = __builtin_shufflevector(x, x, 0, 1, 2, 3, 0, 1, 2, 3);      \
    const bml_sample__eight right = __builtin_shufflevector(x, x, 4, 5, 6, 7, 4, 5, 6, 7);     \
    const bml_sample__eight unit[8] = {BML_SAMPLE__ONE8(left, 0),  BML_SAMPLE__ONE8(left, 1),  \
                                       BML_SAMPLE__ONE8(left, 2),  BML_SAMPLE__ONE8(left, 3),  \
                                       BML_SAMPLE__ONE8(right, 0), BML_SAMPLE__ONE8(right, 1), \
                                       BML_SAMPLE__ONE8(right, 2), BML_SAMPLE__ONE8(right, 3)}
#endif
#endif
#ifndef BML_SAMPLE__UNITS8
#define BML_SAMPLE__UNITS8(x) \
    float unit[8];            \
    memcpy(unit, &(x), sizeof unit)
#endif
/* x, but not below `least`; NaN stays. */
#ifdef __AVX__
#define BML_SAMPLE__FROM8(x, least) (x) = __builtin_ia32_maxps256(least, x)
#else
#define BML_SAMPLE__FROM8(x, least)                                          \
    do {                                                                     \
        bml_sample__mask8 low = (x) < (least);                               \
        bml_sample__mask8 raised = (bml_sample__mask8)(least)&low;           \
        (x) = (bml_sample__eight)(((bml_sample__mask8)(x) & ~low) | raised); \
    } while (0)
#endif
/* tanh(x)/x where x is between -7.5 and 7.5: the product with x can wait for the quotient, or be made before it. */
#define BML_SAMPLE__TANH_OVER8(out, x)                                                                               \
    do {                                                                                                             \
        bml_sample__eight square = (x) * (x);                                                                        \
        bml_sample__eight fourth = square * square;                                                                  \
        bml_sample__eight below =                                                                                    \
            BML_SAMPLE__FMA8(square, BML_SAMPLE__ALL8(1.36103200e-4f), BML_SAMPLE__ALL8(0.0207978224f));             \
        bml_sample__eight above =                                                                                    \
            BML_SAMPLE__FMA8(square, BML_SAMPLE__ALL8(3.66293559e-6f), BML_SAMPLE__ALL8(0.00221871042f));            \
        bml_sample__eight below_low = BML_SAMPLE__FMA8(square, BML_SAMPLE__ALL8(0.455668737f), BML_SAMPLE__ALL8(1)); \
        bml_sample__eight above_low =                                                                                \
            BML_SAMPLE__FMA8(square, BML_SAMPLE__ALL8(0.122358796f), BML_SAMPLE__ALL8(0.999992914f));                \
        below = BML_SAMPLE__FMA8(fourth, below, below_low);                                                          \
        above = BML_SAMPLE__FMA8(fourth, above, above_low);                                                          \
        (out) = above / below;                                                                                       \
    } while (0)

/* Where t and s are in their ranges the units' sums lie within 7.5, but one of the second layer that goes far below. */
static inline float bml_sample__network(float t, float s) {
    const float *w = bml_sample__weights();
    const bml_sample__eight none = {0};
    const bml_sample__eight least = none - 7.5f;
    const bml_sample__eight all_t = {t, t, t, t, t, t, t, t};
    const bml_sample__eight all_s = {s, s, s, s, s, s, s, s};
    const bml_sample__eight bias = {w[104]};
    bml_sample__eight row[16];
    memcpy(row, w, 3 * sizeof row[0]);
    bml_sample__eight x = BML_SAMPLE__FMA8(row[1], all_s, BML_SAMPLE__FMA8(row[0], all_t, row[2]));
    bml_sample__eight h;
    BML_SAMPLE__TANH_OVER8(h, x);
    h *= x;
    BML_SAMPLE__UNITS8(h);
    memcpy(row, w + 24, 10 * sizeof row[0]);
    bml_sample__eight sum0 = BML_SAMPLE__FMA8(row[1], unit[1], BML_SAMPLE__FMA8(row[0], unit[0], row[8]));
    bml_sample__eight sum2 = BML_SAMPLE__FMA8(row[2], unit[2], row[3] * unit[3]);
    bml_sample__eight sum4 = BML_SAMPLE__FMA8(row[4], unit[4], row[5] * unit[5]);
    bml_sample__eight sum6 = BML_SAMPLE__FMA8(row[6], unit[6], row[7] * unit[7]);
    x = (sum0 + sum2) + (sum4 + sum6);
    BML_SAMPLE__FROM8(x, least);
    BML_SAMPLE__TANH_OVER8(h, x);
    x *= row[9];
    h = BML_SAMPLE__FMA8(h, x, bias);
    bml_sample__four half[2];
    memcpy(half, &h, sizeof half);
    half[0] += half[1];
    float sum[4];
    memcpy(sum, half, sizeof sum);
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}
#undef BML_SAMPLE__FMA8
#undef BML_SAMPLE__UNITS8
#undef BML_SAMPLE__ALL8
#ifdef BML_SAMPLE__ONE8
#undef BML_SAMPLE__ONE8
#endif
#undef BML_SAMPLE__FROM8
#undef BML_SAMPLE__TANH_OVER8
#else
static inline BML_SAMPLE_FUNC void bml_sample__tanh8(float *h) {
    for (int k = 0; k < 8; k++) {
        float below;
        float above = bml_sample__tanh_parts(&below, h[k]);
        h[k] = above / below;
    }
}

static inline BML_SAMPLE_FUNC float bml_sample__network(float t, float s) {
    const float *w = bml_sample__weights();
    float h[8];
    float g[8];
    for (int k = 0; k < 8; k++) {
        float first = w[16 + k] + w[k] * t;
        h[k] = first + w[8 + k] * s;
    }
    bml_sample__tanh8(h);
    float sum = w[104];
    for (int k = 0; k < 8; k++) {
        g[k] = w[88 + k];
        for (int j = 0; j < 8; j++) {
            g[k] += w[24 + 8 * j + k] * h[j];
        }
    }
    bml_sample__tanh8(g);
    for (int k = 0; k < 8; k++) {
        sum += w[96 + k] * g[k];
    }
    return sum;
}
#endif

/* N from the nodes of BML_SAMPLE_TABLE, bilinear in sqrt(t) and s. */
static inline BML_SAMPLE_FUNC float bml_sample__lookup(const float *node, float t, float s) {
    float x = sqrtf(t) * (float)(BML_SAMPLE__NT - 1);
    float y = s * ((float)(BML_SAMPLE__NS - 1) / bml_sample__s_max);
    uint32_t j = (uint32_t)(int32_t)x; /* what is no index is a large one */
    uint32_t k = (uint32_t)(int32_t)y;
    j = j < BML_SAMPLE__NT - 2 ? j : BML_SAMPLE__NT - 2;
    k = k < BML_SAMPLE__NS - 2 ? k : BML_SAMPLE__NS - 2;
    int32_t at = (int32_t)(k * BML_SAMPLE__NT + j);
    x -= (float)(int32_t)j;
    y -= (float)(int32_t)k;
    const float *lower = node + at;
    const float *upper = lower + BML_SAMPLE__NT;
    float below = bml_sample__betweenf(lower[0], lower[1], x);
    float above = bml_sample__betweenf(upper[0], upper[1], x);
    return bml_sample__betweenf(below, above, y);
}

/* Energy and rest = 1 - E from u, v = 1 - u and N. */
static inline BML_SAMPLE_FUNC float bml_sample__unfold(float *rest, const bml_sample__pairf *p, float gamma, float t,
                                                       float r, float n) {
    float l = p->L * (t * (1 + r * n));
    float E;
    l = l < p->L ? l : p->L;
    *rest = bml_sample__expf(&E, l);
    return gamma * E;
}

static inline BML_SAMPLE_FUNC float bml_sample__kernel_energy(float *rest, const bml_sample__pairf *p, float gamma,
                                                              float u, const bml_sample_compton_nodes *nodes) {
    float r = sqrtf(p->high * (1 - u));
    float t = (p->low + p->high * u) / (1 + r);
    float n = nodes ? bml_sample__lookup(nodes->n, t, p->s) : bml_sample__network(t, p->s);
    return bml_sample__unfold(rest, p, gamma, t, r, n);
}

/* Photons that need no care beyond u_min = E/G. */
static inline BML_SAMPLE_FUNC int bml_sample__is_far(float gamma, float eps0) {
    return gamma >= 32 && eps0 * 256 < gamma;
}

static inline BML_SAMPLE_FUNC float bml_sample__near_energy(float *rest, float gamma, float eps0, float u,
                                                            const bml_sample_compton_nodes *nodes) {
    if (bml_sample__collidesf(gamma, eps0, u, 1 - u)) {
        return bml_sample__two_bodyf(rest, gamma, eps0, u, 1 - u);
    }
    bml_sample__pairf p = bml_sample__prepare(gamma, eps0);
    if (!(p.q <= 0.26f)) { /* most photons lose energy */
        return bml_sample__two_bodyf(rest, gamma, eps0, u, 1 - u);
    }
    float eps = bml_sample__kernel_energy(rest, &p, gamma, u, nodes);
    return eps > eps0 ? eps : eps0;
}

/* log(1 + a b) and exp(-x) once more, for one photon alone: not the operations count then but how long each waits for
   the one before and how many photons a processor looks ahead, so that the sums are made from both ends. Whole numbers
   are added to 1.5 2^23, whose last bit is 1: conversions take longer, and in some compilers wait for other photons. */
static inline BML_SAMPLE_FUNC float bml_sample__log1p_alone(float *plus_four, float a, float b) {
    float x = a * b;
    uint32_t raised = bml_sample__bits(bml_sample__fma(a, b, 1)) + (0x3F800000u - 0x3F3504F3u);
    float scale = bml_sample__float(0x7F000000u - (raised & 0xFF800000u)); /* 2^-k */
    int32_t exponent = (int32_t)(raised >> 23);
    float octaves = bml_sample__float(0x4B400000u + (raised >> 23)) - (12582912.0f + 127);
    octaves = bml_sample__as_summed(octaves, exponent);
    float r = bml_sample__fma(x, scale, -bml_sample__as_summed(1 - scale, exponent));
    float r2 = r * r;
    float r4 = r2 * r2;
    float first = bml_sample__fma(r, 0.333339107f, -0.5f);
    float second = bml_sample__fma(r, 0.199630638f, -0.250013370f);
    float third = bml_sample__fma(r, 0.149147679f, -0.165775847f);
    float fourth = bml_sample__fma(r, 0.0870043592f, -0.142674870f);
    float low = bml_sample__fma(r2, second, first);
    float p = bml_sample__fma(r4, bml_sample__fma(r2, fourth, third), low);
    float linear = bml_sample__fma(octaves, 0.693147181f, r);
    *plus_four = bml_sample__fma(r2, p, linear + 4);
    return bml_sample__fma(r2, p, linear);
}

static inline BML_SAMPLE_FUNC float bml_sample__exp_alone(float *one_minus, float x) {
    int32_t whole = (int32_t)x;
    float raised = bml_sample__as_summed(bml_sample__fma(x, 1.44269504f, 12582912.0f), whole);
    float octaves = bml_sample__as_summed(raised - 12582912.0f, whole);
    float scale = bml_sample__float(0x3F800000u - (bml_sample__bits(raised) << 23));
    float most = bml_sample__as_summed(bml_sample__fma(octaves, 0.693359375f, -x), whole);
    float r = bml_sample__fma(octaves, -2.12194440e-4f, most);
    float r2 = r * r;
    float first = bml_sample__fma(r, 0.166665387f, 0.499999980f);
    float second = bml_sample__fma(r, 0.00836718086f, 0.0416672213f);
    float high = bml_sample__fma(r2, bml_sample__fma(r2, 0.00138823958f, second), first);
    float p = bml_sample__fma(r2, high, r);
    *one_minus = bml_sample__fma(-scale, p, bml_sample__as_summed(1 - scale, whole));
    return bml_sample__fma(scale, p, scale);
}

/* A far photon: f is 1 to 3e-3 below E = eps0/gamma there, so that u_min = E/G, at most 3/(4 gamma^2); from gamma = 300
   and eps0 < gamma/3e5 on it is left out: 1e-5 of the CDF. Without it r and t are those of u alone, and ready before
   the logarithm is. l needs no bound: N is below 1 (tested), so that t (1 + r N) < (1 - r)(1 + r). */
static inline BML_SAMPLE_FUNC float bml_sample__far_energy(float *rest, float gamma, float eps0, float u,
                                                           const bml_sample_compton_nodes *nodes) {
    float below_s;
    float L = bml_sample__log1p_alone(&below_s, 4 * gamma, eps0);
    float s = L / below_s;
    float r = sqrtf(1 - u);
    float t = u / (1 + r);
    int seen = (gamma < 300) | (eps0 * 3e5f > gamma); /* one branch is guessed better than two */
    if (seen) {
        float below;
        float above = bml_sample__per_total_parts(&below, s);
        float low = eps0 * above / (gamma * L * below);
        float less = r * low * bml_sample__fma(low, 0.125f, 0.5f); /* r (1 - sqrt(1 - low)) */
        r -= less;
        t += less;
    }
    float n = nodes ? bml_sample__lookup(nodes->n, t, s) : bml_sample__network(t, s);
    float Lt = L * t;
    float l = bml_sample__fma(Lt * r, n, Lt);
    float E;
    *rest = bml_sample__exp_alone(&E, l);
    float eps = gamma * E;
    return eps > eps0 ? eps : eps0;
}

static inline BML_SAMPLE_FUNC float bml_sample_compton_step(float *rest, float gamma, float eps0, float u,
                                                            const bml_sample_compton_nodes *nodes) {
    if (!bml_sample__is_far(gamma, eps0)) {
        return bml_sample__near_energy(rest, gamma, eps0, u, nodes);
    }
    return bml_sample__far_energy(rest, gamma, eps0, u, nodes);
}

static inline BML_SAMPLE_FUNC float bml_sample_compton_energy(float gamma, float eps0, float u,
                                                              const bml_sample_compton_nodes *nodes) {
    float rest;
    return bml_sample_compton_step(&rest, gamma, eps0, u, nodes);
}

static inline BML_SAMPLE_FUNC float bml_sample_compton_rate(float gamma, float eps0) {
    float b = 4 * gamma * eps0;
    float L = bml_sample__log1pf(b);
    return 3 * L / (b * bml_sample__per_total(L / (L + 4)));
}

/* ---- inline: one photon and one electron, exact ---- */

static inline BML_SAMPLE_FUNC double bml_sample__dot(const double *a, const double *b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* first[3]: a unit vector perpendicular to the unit vector a. */
static inline BML_SAMPLE_FUNC void bml_sample__across(double *first, const double *a) {
    int k = fabs(a[0]) < 0.6 ? 0 : 1;
    double scale = 1 / sqrt(1 - a[k] * a[k]);
    for (int i = 0; i < 3; i++) {
        first[i] = ((i == k) - a[k] * a[i]) * scale;
    }
}

static inline BML_SAMPLE_FUNC void bml_sample__cross(double *out, const double *a, const double *b) {
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

/* The frame of a collision: the electron's direction, and across it that of the photon. */
typedef struct bml_sample__encounter {
    bml_sample__meeting meeting;
    double eps0;
    double axis[3];
    double side[3];
} bml_sample__encounter;

/* 1 - mu and 1 + mu as half the squares of difference and sum of the directions, so that small ones are precise. */
static inline BML_SAMPLE_FUNC void bml_sample__encounter_of(bml_sample__encounter *e, const bml_sample_collision *how) {
    double minus = 0;
    double plus = 0;
    double size = 0;
    for (int i = 0; i < 3; i++) {
        double axis = how->gamma > 1 ? how->electron[i] : (double)(i == 2);
        double apart = how->photon[i] - axis;
        double both = how->photon[i] + axis;
        e->axis[i] = axis;
        minus += 0.5 * apart * apart;
        plus += 0.5 * both * both;
    }
    minus = minus < 2 ? minus : 2;
    plus = plus < 2 ? plus : 2;
    for (int i = 0; i < 3; i++) { /* across = photon - mu axis, from the smaller of the two */
        double apart = how->photon[i] - e->axis[i];
        double both = how->photon[i] + e->axis[i];
        double from_apart = apart + minus * e->axis[i];
        double from_both = both - plus * e->axis[i];
        e->side[i] = minus < plus ? from_apart : from_both;
        size += e->side[i] * e->side[i];
    }
    if (size > 1e-30) {
        for (int i = 0; i < 3; i++) {
            e->side[i] /= sqrt(size);
        }
    } else {
        bml_sample__across(e->side, e->axis);
    }
    e->eps0 = how->eps0;
    bml_sample__meet(&e->meeting, how->gamma, how->eps0, minus, plus);
}

/* The photon and the electron after a scattering by t = 1 - cos at azimuth phi (0: in the plane of the electron's
   velocity, towards it). Energies of both are sums of positive terms, or nearly. */
static inline BML_SAMPLE_FUNC void bml_sample__scattered(bml_sample_scattered *after, const bml_sample__encounter *e,
                                                         double t, double phi) {
    const bml_sample__meeting *m = &e->meeting;
    double x = m->x;
    double half = cos(0.5 * phi);
    double turned = bml_sample__turned(m, t, half * half);
    double r = 1 / (1 + x * t);
    double sin_in = sqrt(m->plus * m->minus);
    double sin_t = sqrt(t * (2 - t));
    double tilt = m->plus * (1 - t) + sin_in * sin_t * cos(phi); /* turned - t */
    double all = m->gamma + e->eps0;
    double eps = bml_sample__lab_energy(m, t, turned);
    after->eps = eps < all - 1 ? eps : all - 1;
    /* gamma [1 + x (1-r) + beta (its momentum along the axis)], with 1 - r x turned = r (1 - x tilt) */
    double along = r * (1 - x * tilt) + x * m->plus;
    double lost = x * x * t * r; /* x (1 - r) */
    double against = lost - x * m->plus + x * r * turned;
    double left = m->gamma * (along + m->slow * against);
    after->gamma = eps < 0.5 * all ? all - after->eps : left;
    after->gamma = after->gamma > 1 ? after->gamma : 1;
    double forward = m->slow + m->beta * turned;
    double minus = m->slow * (2 - turned) / forward;
    minus = minus < 2 ? minus : 2;
    after->minus = minus;
    double sine = sqrt(minus * (2 - minus));
    /* across the axis, in the plane and out of it; azimuths are right-handed about the photon */
    double up = (1 - t) * sin_in + sin_t * cos(phi) * (1 - m->plus);
    double out = -sin_t * sin(phi);
    double size = sqrt(up * up + out * out);
    up = size > 1e-150 ? up / size : 1;
    out = size > 1e-150 ? out / size : 0;
    double third[3];
    bml_sample__cross(third, e->axis, e->side);
    for (int i = 0; i < 3; i++) {
        double along_axis = (1 - minus) * e->axis[i];
        double across = up * e->side[i] + out * third[i];
        after->out[i] = along_axis + sine * across;
    }
}

/* 1 - cos of the angle of scattering at u, for x in the rest frame, from the nodes: -ln r = y ln(1 + 2x). */
static inline BML_SAMPLE_FUNC double bml_sample__recoil_at(float u, double x, const float *recoil) {
    float two_x = (float)(2 * x);
    float L = bml_sample__log1pf(two_x);
    const float rows = (float)(BML_SAMPLE__RECOIL_X - 1) / bml_sample__recoil_top;
    float row = L / (L + 3) * rows;
    float column = u * (float)(BML_SAMPLE__RECOIL_U - 1);
    float y = bml_sample__surface(recoil, BML_SAMPLE__RECOIL_X, BML_SAMPLE__RECOIL_U, row, column);
    y = y > 0 ? y : 0;
    y = y < 1 ? y : 1;
    double t = 2 * (double)y;
    if (x > 1e-6) {
        t = expm1((double)(y * L)) / x;
    }
    return t < 2 ? t : 2;
}

static inline BML_SAMPLE_FUNC void bml_sample_scatter_at(bml_sample_scattered *after, const bml_sample_collision *how,
                                                         float u, float v, const bml_sample_thermal_nodes *nodes) {
    bml_sample__encounter e;
    bml_sample__encounter_of(&e, how);
    double t = bml_sample__recoil_at(u, e.meeting.x, nodes->recoil);
    bml_sample__scattered(after, &e, t, 6.283185307179586 * (double)v);
}

/* ---- inline: polarisation ----
   Stokes parameters refer to a direction across the photon's. The normal of the plane of electron and photon is the
   same before and after a boost along the electron's velocity: an angle to it is one in both frames, and no vector is
   ever transformed. In the rest frame the Klein-Nishina matrix of Fano (1949) acts on the parameters about the plane of
   scattering (McMaster 1961, Rev. Mod. Phys. 33, 8). */

/* q, u about a direction turned by `angle` from the present one, right-handed about the photon. */
static inline BML_SAMPLE_FUNC void bml_sample__turn_stokes(double *q, double *u, double angle) {
    double c = cos(2 * angle);
    double s = sin(2 * angle);
    double old = *q;
    *q = c * old + s * *u;
    *u = c * *u - s * old;
}

/* Angle from a to b, both across the unit vector k, right-handed about k. */
static inline BML_SAMPLE_FUNC double bml_sample__angle(const double *a, const double *b, const double *k) {
    double normal[3];
    bml_sample__cross(normal, a, b);
    return atan2(bml_sample__dot(normal, k), bml_sample__dot(a, b));
}

/* The direction across k in the plane of k and axis, pointing to the axis; any where they are parallel. */
static inline BML_SAMPLE_FUNC void bml_sample__towards(double *out, const double *axis, const double *k) {
    double along = bml_sample__dot(axis, k);
    double size = 0;
    for (int i = 0; i < 3; i++) {
        out[i] = axis[i] - along * k[i];
        size += out[i] * out[i];
    }
    if (!(size > 1e-28)) {
        bml_sample__across(out, k);
        return;
    }
    for (int i = 0; i < 3; i++) {
        out[i] /= sqrt(size);
    }
}

/* Azimuth of the scattering, 0 ... 2 pi at v, of a photon whose Stokes q, u stand about the direction of azimuth 0: the
   density is 1 - A cos 2(phi - phi0), A = p sin^2/(r + 1/r - sin^2); Kepler's equation in 2 (phi - phi0), by Newton. */
static inline BML_SAMPLE_FUNC double bml_sample__azimuth(double v, double q, double u, double t, double r) {
    double sin2 = t * (2 - t);
    double degree = sqrt(q * q + u * u);
    double A = degree * sin2 / (r + 1 / r - sin2);
    double phi0 = 0.5 * atan2(u, q);
    double turn = 2 * v - floor(2 * v); /* twice the azimuth turns twice */
    double want = 6.283185307179586 * turn;
    double y = want;
    A = A < 1 ? A : 1;
    double low = 0;
    double high = 6.283185307179586;
    for (int i = 0; i < 40; i++) {
        double error = y - A * sin(y) - want;
        if (error > 0) {
            high = y;
        } else {
            low = y;
        }
        double step = error / (1 - A * cos(y) + 1e-12);
        double next = y - step;
        if (fabs(step) < 1e-13) {
            break;
        }
        y = next > low && next < high ? next : 0.5 * (low + high);
    }
    return phi0 + 0.5 * y + (v < 0.5 ? 0 : 3.141592653589793);
}

/* The Stokes parameters after: s holds those about `plane`, the direction across the photon in the plane of
   scattering. */
static inline BML_SAMPLE_FUNC void bml_sample__fano(bml_sample_stokes *s, double t, double r) {
    double c = 1 - t;
    double sin2 = t * (2 - t);
    double more = r + 1 / r - 2;
    double whole = 1 + c * c + more - sin2 * s->q;
    double scale = whole > 0 ? 1 / whole : 0;
    s->q = ((1 + c * c) * s->q - sin2) * scale;
    s->u = 2 * c * s->u * scale;
    s->v = (2 + more) * c * s->v * scale;
}

static inline BML_SAMPLE_FUNC void bml_sample__scatter_stokes(bml_sample_scattered *after, bml_sample_stokes *s,
                                                              const bml_sample__encounter *e, const double *photon,
                                                              double t, double v) {
    const bml_sample__meeting *m = &e->meeting;
    double r = 1 / (1 + m->x * t);
    double plane[3];
    bml_sample__towards(plane, e->axis, photon);
    double to_plane = bml_sample__angle(s->axis, plane, photon);
    bml_sample__turn_stokes(&s->q, &s->u, to_plane);
    double phi = bml_sample__azimuth(v, s->q, s->u, t, r);
    bml_sample__scattered(after, e, t, phi);
    bml_sample__turn_stokes(&s->q, &s->u, phi); /* about the plane of scattering, in the rest frame */
    bml_sample__fano(s, t, r);
    /* rest frame: axis z, the photon before in the plane of x and z */
    double sin_in = sqrt(m->plus * m->minus);
    double cos_in = m->plus - 1;
    double in[3] = {sin_in, 0, cos_in};
    double flat[3] = {-cos_in, 0, sin_in}; /* azimuth 0 */
    double side[3] = {0, 1, 0};
    double axis[3] = {0, 0, 1};
    double sin_t = sqrt(t * (2 - t));
    double out[3];
    double along[3];
    bml_sample__cross(side, in, flat);
    for (int i = 0; i < 3; i++) {
        double radial = cos(phi) * flat[i] + sin(phi) * side[i];
        out[i] = (1 - t) * in[i] + sin_t * radial;
        along[i] = (1 - t) * radial - sin_t * in[i]; /* across the photon after, in the plane of scattering */
    }
    bml_sample__towards(plane, axis, out);
    double from_plane = bml_sample__angle(along, plane, out);
    bml_sample__turn_stokes(&s->q, &s->u, from_plane);
    bml_sample__towards(s->axis, e->axis, after->out);
}

/* ---- inline: thermal electrons ---- */

/* Row of the tables that go with ln theta. */
static inline BML_SAMPLE_FUNC float bml_sample__theta_row(float theta, int rows) {
    const float last = (float)(rows - 1);
    float row = (bml_sample__logf(theta) - bml_sample__ln_theta) * (last / bml_sample__ln_thetas);
    row = row > 0 ? row : 0;
    return row < last ? row : last;
}

/* Column of the tables in sqrt(-ln v), v = 1 - u. */
static inline BML_SAMPLE_FUNC float bml_sample__tail_column(float v, int columns) {
    const float last = (float)(columns - 1);
    float column = sqrtf(-bml_sample__logf(v)) * (last / bml_sample__thermal_top);
    return column < last ? column : last;
}

/* Lorentz factor - 1 at u: the momentum over sqrt(theta (2 + theta)) is tabulated in sqrt(-ln(1-u)). */
static inline BML_SAMPLE_FUNC float bml_sample__thermal_momentum(float v, float theta, float row, const float *nodes) {
    float column = bml_sample__tail_column(v, BML_SAMPLE__THERMAL_U);
    float p = bml_sample__surface(nodes, BML_SAMPLE__THERMAL_ROWS, BML_SAMPLE__THERMAL_U, row, column);
    p = p > 0 ? p : 0;
    return p * sqrtf(theta * (2 + theta));
}

static inline BML_SAMPLE_FUNC double bml_sample_thermal_gamma(float theta, float u, const bml_sample_thermal_nodes *n) {
    float row = bml_sample__theta_row(theta, BML_SAMPLE__THERMAL_ROWS);
    double p = (double)bml_sample__thermal_momentum(1 - u, theta, row, n->momentum);
    return sqrt(1 + p * p);
}

static inline BML_SAMPLE_FUNC float bml_sample_thermal_cross_section(float theta, float x,
                                                                     const bml_sample_thermal_nodes *n) {
    float row = bml_sample__theta_row(theta, BML_SAMPLE__HOT_ROWS);
    const float last = (float)(BML_SAMPLE__HOT_X - 1);
    float ln_x = bml_sample__logf(x > 1e-30f ? x : 1e-30f);
    float column = (ln_x - bml_sample__ln_x) * (last / bml_sample__ln_xs);
    column = column > 0 ? column : 0;
    column = column < last ? column : last;
    float minus_ln = bml_sample__surface(n->cross_section, BML_SAMPLE__HOT_ROWS, BML_SAMPLE__HOT_X, row, column);
    float unused;
    return bml_sample__expf(&unused, minus_ln > 0 ? minus_ln : 0);
}

static inline BML_SAMPLE_FUNC double bml_sample_mean_free_path(double n_e, float theta, float x,
                                                               const bml_sample_thermal_nodes *n) {
    return 1 / (n_e * 6.6524587321e-25 * (double)bml_sample_thermal_cross_section(theta, x, n));
}

/* An electron that the photon meets: isotropic and thermal, with probability (1 - beta mu) sigma(x). The cosine by one
   square root, the cross section by rejection. */
static inline BML_SAMPLE_FUNC void bml_sample__thermal_encounter(bml_sample__encounter *e, float theta, double eps0,
                                                                 const double *photon, bml_sample_rng *rng,
                                                                 const bml_sample_thermal_nodes *n) {
    float row = bml_sample__theta_row(theta, BML_SAMPLE__THERMAL_ROWS);
    float u[4];
    double gamma;
    double minus;
    double closing;
    double slow;
    double beta;
    do {
        bml_sample_uniform4(u, rng);
        double p = (double)bml_sample__thermal_momentum(u[0], theta, row, n->momentum);
        gamma = sqrt(1 + p * p);
        beta = p / gamma;
        slow = 1 / (gamma * (gamma + p));
        closing = sqrt(slow * slow + 4 * beta * (double)u[1]);
    } while ((double)u[2] > bml_sample_klein_nishina_fast(gamma * eps0 * closing));
    minus = beta > 1e-12 ? (closing - slow) / beta : 1;
    minus = minus > 0 ? minus : 0;
    minus = minus < 2 ? minus : 2;
    double first[3];
    double second[3];
    double phi = 6.283185307179586 * (double)u[3];
    double sine = sqrt(minus * (2 - minus));
    bml_sample__across(first, photon);
    bml_sample__cross(second, photon, first);
    for (int i = 0; i < 3; i++) {
        double across = cos(phi) * first[i] + sin(phi) * second[i];
        e->axis[i] = (1 - minus) * photon[i] + sine * across;
        e->side[i] = sine * photon[i] - (1 - minus) * across;
    }
    e->eps0 = eps0;
    bml_sample__meet(&e->meeting, gamma, eps0, minus, 2 - minus);
}

static inline BML_SAMPLE_FUNC void bml_sample_thermal_step(bml_sample_scattered *after, bml_sample_stokes *stokes,
                                                           const bml_sample_medium *medium, double eps0,
                                                           const double *photon, bml_sample_rng *rng) {
    bml_sample__encounter e;
    float u[4];
    bml_sample__thermal_encounter(&e, medium->theta, eps0, photon, rng, medium->nodes);
    bml_sample_uniform4(u, rng);
    double t = bml_sample__recoil_at(u[0], e.meeting.x, medium->nodes->recoil);
    if (stokes) {
        bml_sample__scatter_stokes(after, stokes, &e, photon, t, (double)u[1]);
    } else {
        bml_sample__scattered(after, &e, t, 6.283185307179586 * (double)u[1]);
    }
}

/* ---- inline: quantum synchrotron radiation and pairs ---- */

/* Row of the tables that go with ln chi. */
static inline BML_SAMPLE_FUNC float bml_sample__chi_row(float chi, float lowest) {
    float per = (float)(BML_SAMPLE__QED_CHI - 1) / bml_sample__ln_chis;
    float row = (bml_sample__logf(chi) - lowest) * per;
    float last = (float)(BML_SAMPLE__QED_CHI - 1);
    row = row > 0 ? row : 0;
    return row < last ? row : last;
}

static inline BML_SAMPLE_FUNC float bml_sample__curve(const float *a, int n, float x) {
    float weight[4];
    int32_t i = bml_sample__node_below(x, n);
    bml_sample__cubic(weight, x - (float)i);
    float left = weight[0] * a[i - 1] + weight[1] * a[i];
    return left + weight[2] * a[i + 1] + weight[3] * a[i + 2];
}

static inline BML_SAMPLE_FUNC float bml_sample__qed_at(const float *nodes, float row, float v) {
    float column = bml_sample__tail_column(v, BML_SAMPLE__QED_U);
    float y = bml_sample__surface(nodes, BML_SAMPLE__QED_CHI, BML_SAMPLE__QED_U, row, column);
    return y > 0 ? y : 0;
}

static inline BML_SAMPLE_FUNC float bml_sample_emission_rate(float chi, const bml_sample_qed_nodes *n) {
    float row = bml_sample__chi_row(chi, bml_sample__ln_chi);
    return chi * expf(bml_sample__curve(n->emission_rate, BML_SAMPLE__QED_CHI, row));
}

static inline BML_SAMPLE_FUNC float bml_sample_emission_energy(float chi, float u, const bml_sample_qed_nodes *n) {
    float row = bml_sample__chi_row(chi, bml_sample__ln_chi);
    float t = bml_sample__qed_at(n->emission, row, 1 - u);
    float z = 1.5f * chi * t * t * t;
    return z / (1 + z);
}

static inline BML_SAMPLE_FUNC float bml_sample_pair_rate(float chi, const bml_sample_qed_nodes *n) {
    float row = bml_sample__chi_row(chi, bml_sample__ln_chi_pair);
    float ln_rate = bml_sample__curve(n->pair_rate, BML_SAMPLE__QED_CHI, row);
    return chi * expf(ln_rate - 8 / (3 * chi));
}

static inline BML_SAMPLE_FUNC float bml_sample_pair_energy(float chi, float u, const bml_sample_qed_nodes *n) {
    float side = u < 0.5f ? 2 * u : 2 * (1 - u); /* the smaller half of the energy, then the larger */
    float row = bml_sample__chi_row(chi, bml_sample__ln_chi_pair);
    float g = bml_sample__qed_at(n->pair, row, side);
    float small_ = expf(-2 * g * sqrtf(chi / (1 + chi)));
    float share = u < 0.5f ? small_ : 1;
    return share / (1 + small_);
}

#endif /* BML_SAMPLE_H */

#if defined(BML_SAMPLE_IMPLEMENTATION) && !defined(BML_SAMPLE_IMPLEMENTED)
#define BML_SAMPLE_IMPLEMENTED
/* Contents: search for ">> name".
   >> status and memory            messages, the allocator
   >> random numbers               Philox4x32-10
   >> random numbers in batches    uniforms, normals, gamma variates
   >> Compton: closed forms        integrals of Jones' kernel, their inversion
   >> Compton: batches             arrays of photons by net, table and inversion
   >> Compton: directions          of photons of the kernel, and exact collisions
   >> thermal electrons: tables    recoil, Juettner, hot cross section
   >> strong fields: tables        quantum synchrotron radiation and pairs
   >> electrons and photons        Juettner by rejection, black body, synchrotron, power laws
   >> tables of one density        panels of Legendre series, inverse CDF by quintic pieces
   >> grids over parameters        inverse CDFs at nodes
   >> cells                        densities of several dimensions
   >> alias tables                 discrete weights
   >> reference methods            rejection, ratio of uniforms
   >> networks                     samplers trained before
   >> how good is a sampler?       errors and divergences
   >> training                     of networks, with bml_nn.h */
#include <stdarg.h>
#include <stdio.h> /* vsnprintf into message buffers; nothing is printed */
#if defined(BML_SAMPLE_MALLOC) && defined(BML_SAMPLE_REALLOC) && defined(BML_SAMPLE_FREE)
#elif defined(BML_SAMPLE_MALLOC) || defined(BML_SAMPLE_REALLOC) || defined(BML_SAMPLE_FREE)
#error "bml_sample.h: define all of BML_SAMPLE_MALLOC, BML_SAMPLE_REALLOC and BML_SAMPLE_FREE, or none"
#else
#include <stdlib.h>
#define BML_SAMPLE_MALLOC(n) malloc(n)
#define BML_SAMPLE_REALLOC(p, n) realloc(p, n)
#define BML_SAMPLE_FREE(p) free(p)
#endif
#define BML_SAMPLE__PI 3.14159265358979323846
#if defined(__GNUC__) || defined(__clang__)
#define BML_SAMPLE__RESTRICT __restrict__
#define BML_SAMPLE__PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define BML_SAMPLE__RESTRICT
#define BML_SAMPLE__PRINTF(a, b)
#endif

/* >> status and memory
   A failure writes its text where the caller can read it, and hands its status through. */

BML_SAMPLE_DEF const char *bml_sample_strerror(int status) {
#define BML_SAMPLE__CASE(name, value, text) \
    if (status == value) return text;
    BML_SAMPLE_STATUS_TABLE(BML_SAMPLE__CASE)
#undef BML_SAMPLE__CASE
    return "unknown status";
}

enum { BML_SAMPLE__CHUNK = 256 /* numbers worked on at once; a multiple of 4 */ };

/* NaN under any flags. */
static double bml_sample__nan(void) {
    uint64_t bits = (uint64_t)0x7FF8 << 48;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* A decimal comma of the locale between digits becomes a point. */
static void bml_sample__points(char *text) {
    for (char *c = text; *c; c++) {
        int before = c > text && c[-1] >= '0' && c[-1] <= '9';
        int after = c[1] >= '0' && c[1] <= '9';
        if (*c == ',' && before && after) {
            *c = '.';
        }
    }
}

/* Writes the message, unless why is NULL, and hands the status through: return bml_sample__fail(...). */
BML_SAMPLE__PRINTF(3, 4) static int bml_sample__fail(char *why, int status, const char *format, ...) {
    if (!why) {
        return status;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(why, BML_SAMPLE_MESSAGE, format, args);
    va_end(args);
    bml_sample__points(why);
    return status;
}

/* The status with its own text, or none where it is OK. */
static int bml_sample__say(char *why, int status) {
    if (why && !status) {
        why[0] = 0;
    }
    return status ? bml_sample__fail(why, status, "%s", bml_sample_strerror(status)) : status;
}

/* One rule for a member of a configuration. */
typedef struct bml_sample__rule {
    const char *name;
    double value;
    double low;
    double high;
} bml_sample__rule;

/* The first rule that is broken, as text; NaN breaks all. */
static int bml_sample__rules(char *why, const bml_sample__rule *rule, int n) {
    for (int i = 0; i < n; i++) {
        double value = rule[i].value;
        int inside = value >= rule[i].low && value <= rule[i].high;
        if (!inside || !bml_sample__finite(value)) {
            return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "%s = %.9g: must be in [%.9g, %.9g]", rule[i].name,
                                    rule[i].value, rule[i].low, rule[i].high);
        }
    }
    return BML_SAMPLE_OK;
}

/* lower < upper, finite, and so is their distance. */
static int bml_sample__is_range(double lower, double upper) {
    int finite = bml_sample__finite(lower) && bml_sample__finite(upper);
    return finite && lower < upper && bml_sample__finite(upper - lower);
}

static int bml_sample__check_range(char *why, const char *name, double lower, double upper) {
    if (bml_sample__is_range(lower, upper)) {
        return BML_SAMPLE_OK;
    }
    return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "%s: from %.9g to %.9g: must be finite and rise", name, lower,
                            upper);
}

/* *product = a b c, or 0 if that overflows. */
static int bml_sample__mul(size_t *product, size_t a, size_t b, size_t c) {
    if (b && a > (size_t)-1 / b) {
        return 0;
    }
    a *= b;
    if (c && a > (size_t)-1 / c) {
        return 0;
    }
    *product = a * c;
    return 1;
}

/* bytes zeroed bytes, NULL without memory. */
static void *bml_sample__alloc(size_t bytes) {
    void *p = BML_SAMPLE_MALLOC(bytes ? bytes : 1);
    if (p) {
        memset(p, 0, bytes);
    }
    return p;
}

static size_t bml_sample__bytes(ptrdiff_t n, size_t each) {
    return (size_t)n * each;
}

static double *bml_sample__doubles(ptrdiff_t n) {
    return (double *)bml_sample__alloc(bml_sample__bytes(n, sizeof(double)));
}

/* The next n things of size `each` in the block at base; with base NULL only counts. All start at multiples of 8. */
static void *bml_sample__take(void *base, size_t *used, ptrdiff_t n, size_t each) {
    char *at = base ? (char *)base + *used : NULL;
    *used += (bml_sample__bytes(n, each) + 7) / 8 * 8;
    return at;
}

/* How many of the n that are left go into the next chunk. */
static int bml_sample__chunk_of(ptrdiff_t n) {
    return n < BML_SAMPLE__CHUNK ? (int)n : BML_SAMPLE__CHUNK;
}

/* All u[n] in [0,1]; NaN is not. */
static int bml_sample__all_in_unit(const double *u, ptrdiff_t n) {
    int bad = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        bad |= !bml_sample__in_unit(u[i]);
    }
    return !bad;
}

static int bml_sample__all_finite(const double *x, ptrdiff_t n) {
    int bad = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        bad |= !bml_sample__finite(x[i]);
    }
    return !bad;
}

/* Leaves the vector registers as scalar code wants them. gcc ends functions that used them with vzeroupper, but that
   leaves out registers 16 to 31 of AVX-512, after which scalar code can be several times slower. */
static inline void bml_sample__leave_vectors(void) {
#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define BML_SAMPLE__CLEAR(i) "vpxord %%xmm" #i ", %%xmm" #i ", %%xmm" #i "\n\t"
    __asm__ volatile(BML_SAMPLE__CLEAR(16) BML_SAMPLE__CLEAR(17) BML_SAMPLE__CLEAR(18) BML_SAMPLE__CLEAR(19)
                         BML_SAMPLE__CLEAR(20) BML_SAMPLE__CLEAR(21) BML_SAMPLE__CLEAR(22) BML_SAMPLE__CLEAR(23)
                             BML_SAMPLE__CLEAR(24) BML_SAMPLE__CLEAR(25) BML_SAMPLE__CLEAR(26) BML_SAMPLE__CLEAR(27)
                                 BML_SAMPLE__CLEAR(28) BML_SAMPLE__CLEAR(29) BML_SAMPLE__CLEAR(30)
                                     BML_SAMPLE__CLEAR(31) "vzeroupper" ::
                                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                                           "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16",
                                           "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24",
                                           "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
#undef BML_SAMPLE__CLEAR
#endif
}

/* >> random numbers
   Philox4x32-10; the numbers of (seed, stream, counter) are those of every bml header. */

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

/* The sequence whose counter begins with block 0 and has words 1, 2 and 3 as given. */
static bml_sample_rng bml_sample__stream(uint64_t seed, uint32_t word1, uint32_t word2, uint32_t word3) {
    bml_sample_rng rng = {{(uint32_t)seed, (uint32_t)(seed >> 32)}, {0, word1, word2, word3}, {0, 0, 0, 0}, 4};
    return rng;
}

BML_SAMPLE_DEF void bml_sample_rng_init(bml_sample_rng *rng, uint64_t seed, uint64_t stream) {
    *rng = bml_sample__stream(seed, (uint32_t)stream, (uint32_t)(stream >> 32), 0xFFFFFFFFu);
}

BML_SAMPLE_DEF uint32_t bml_sample_rng_u32(bml_sample_rng *rng) {
    if (rng->used >= 4) {
        bml_sample_philox(rng->block, rng->counter, rng->key);
        rng->counter[0]++;
        if (rng->counter[0] == 0) {
            rng->counter[3]--;
        }
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

BML_SAMPLE_DEF double bml_sample_rng_uniform(bml_sample_rng *rng) {
    uint64_t high = bml_sample_rng_u32(rng);
    uint64_t low = bml_sample_rng_u32(rng);
    uint64_t bits = (high << 32 | low) >> 12;
    return ((double)bits + 0.5) * (1.0 / 4503599627370496.0); /* 2^-52: + 0.5 stays exact */
}

BML_SAMPLE_DEF double bml_sample_rng_normal(bml_sample_rng *rng) {
    double radius = sqrt(-2 * log(bml_sample_rng_uniform(rng)));
    return radius * cos(6.283185307179586 * bml_sample_rng_uniform(rng));
}
/* << random numbers */

/* Stream words: what word 3 of the counter means here.
   0xFFFFFFFF and below    generators of users
   0x626D6C00, 0x626D6C01  numbers of one photon, named by its energies and its own uniform number
   1 and 2                 training: conditions, the check that a network rises */
enum { BML_SAMPLE__STREAM_CONDITIONS = 1 };
enum { BML_SAMPLE__STREAM_RISES = 2 };

/* >> random numbers in batches
   One block of Philox gives four words. The batches make the blocks of a chunk side by side, in vector registers, and
   use first all first words, then all second words and so on. */

/* A sum of exponentials, and half the square of a normal for the odd half. */
BML_SAMPLE_DEF double bml_sample_rng_gamma(bml_sample_rng *rng, int twice) {
    double sum = 0;
    for (; twice >= 2; twice -= 2) {
        sum -= log(bml_sample_rng_uniform(rng));
    }
    if (twice == 1) {
        double z = bml_sample_rng_normal(rng);
        sum += 0.5 * z * z;
    }
    return sum;
}

/* words[4][blocks]: the next blocks of the sequence. */
static void bml_sample__words(uint32_t *BML_SAMPLE__RESTRICT words, int blocks, bml_sample_rng *rng) {
    const uint32_t first = rng->counter[0];
    const uint32_t high = rng->counter[3];
    const uint32_t s1 = rng->counter[1];
    const uint32_t s2 = rng->counter[2];
    const uint32_t key0 = rng->key[0];
    const uint32_t key1 = rng->key[1];
    uint32_t *BML_SAMPLE__RESTRICT w0 = words;
    uint32_t *BML_SAMPLE__RESTRICT w1 = words + blocks;
    uint32_t *BML_SAMPLE__RESTRICT w2 = words + 2 * blocks;
    uint32_t *BML_SAMPLE__RESTRICT w3 = words + 3 * blocks;
    for (int j = 0; j < blocks; j++) {
        uint32_t c0 = first + (uint32_t)j;
        uint32_t c1 = s1;
        uint32_t c2 = s2;
        uint32_t c3 = high - (c0 < first);
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
    rng->counter[3] = high - (rng->counter[0] < first);
    rng->used = 4;
}

/* y[n] = the roots of x[n] >= 0; y may be x. By themselves, since sqrt may set errno, which keeps gcc from vector
   registers; who compiles with -fno-math-errno loses nothing. */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
__attribute__((optimize("no-math-errno")))
#endif
static void
bml_sample__roots(double *y, const double *x, int n) {
    for (int i = 0; i < n; i++) {
        y[i] = sqrt(x[i]);
    }
}

/* The number that bml_sample_rng_uniform makes of two words, in parts that vector registers convert. */
static inline double bml_sample__unit(uint32_t high, uint32_t low) {
    int32_t first = (int32_t)(high >> 1);
    int32_t second = (int32_t)((high & 1) << 20 | low >> 12);
    double coarse = (double)first * (1.0 / 2147483648.0);
    return coarse + ((double)second + 0.5) * (1.0 / 4503599627370496.0);
}

/* u[m], m <= CHUNK: words 0, 1 of the blocks are the high ones, 2, 3 the low ones. */
static void bml_sample__fill(double *BML_SAMPLE__RESTRICT u, int m, bml_sample_rng *rng) {
    uint32_t words[2 * BML_SAMPLE__CHUNK];
    int half = 2 * ((m + 1) / 2);
    bml_sample__words(words, half / 2, rng);
    for (int i = 0; i < m; i++) {
        u[i] = bml_sample__unit(words[i], words[half + i]);
    }
}

BML_SAMPLE_DEF void bml_sample_rng_fill(double *u, size_t n, bml_sample_rng *rng) {
    int m;
    for (ptrdiff_t left = (ptrdiff_t)n; left > 0; left -= m) {
        m = bml_sample__chunk_of(left);
        bml_sample__fill(u, m, rng);
        u += m;
    }
    bml_sample__leave_vectors();
}

/* ln x of a positive normal x, to 1e-15 of the larger of 1 and the result: 2 artanh((m-1)/(m+1)). */
static inline double bml_sample__ln(double x) {
    uint64_t bits = bml_sample__bits64(x);
    uint32_t top = (uint32_t)(bits >> 32);
    uint32_t exponent = (top - 0x3FE6A09Eu + 0x3FF00000u) >> 20;
    bits -= (uint64_t)(exponent - 1023u) << 52;
    double m;
    memcpy(&m, &bits, sizeof m);
    double s = (m - 1) / (m + 1);
    double s2 = s * s;
    double last = 1.0 / 15 + s2 * (1.0 / 17 + s2 * (1.0 / 19));
    double high = 1.0 / 11 + s2 * (1.0 / 13 + s2 * last);
    double middle = 1.0 / 7 + s2 * (1.0 / 9 + s2 * high);
    double series = 1.0 / 3 + s2 * (1.0 / 5 + s2 * middle);
    double octaves = (double)((int32_t)exponent - 1023);
    return octaves * 0.693147180559945309 + 2 * s + 2 * s * s2 * series;
}

/* cos(2 pi v) and sin(2 pi v), 0 <= v < 1, to 1e-15: the nearest quarter turn, and Taylor series within an eighth. */
static inline double bml_sample__cos_turn(double *sine, double v) {
    int32_t quarter = (int32_t)(4 * v + 0.5);
    double x = (v - 0.25 * (double)quarter) * (2 * BML_SAMPLE__PI);
    double y = x * x;
    double s_high = 1.0 / 6227020800.0 - y / 1307674368000.0;
    double c_high = 1.0 / 479001600 - y / 87178291200.0;
    s_high = 1.0 / 362880 + y * (-1.0 / 39916800 + y * s_high);
    c_high = 1.0 / 40320 + y * (-1.0 / 3628800 + y * c_high);
    double s_low = 1.0 / 120 + y * (-1.0 / 5040 + y * s_high);
    double c_low = 1.0 / 24 + y * (-1.0 / 720 + y * c_high);
    double s = x * (1 + y * (-1.0 / 6 + y * s_low));
    double c = 1 + y * (-0.5 + y * c_low);
    double even = quarter & 1 ? s : c;
    double odd = quarter & 1 ? c : s;
    *sine = quarter & 2 ? -odd : odd;
    return (quarter + 1) & 2 ? -even : even;
}

/* Box & Muller 1958: two normals of two uniforms. */
BML_SAMPLE_DEF void bml_sample_rng_normals(double *x, size_t n, bml_sample_rng *rng) {
    double u[BML_SAMPLE__CHUNK];
    double both[BML_SAMPLE__CHUNK];
    int m;
    for (ptrdiff_t left = (ptrdiff_t)n; left > 0; left -= m) {
        m = bml_sample__chunk_of(left);
        int pairs = (m + 1) / 2;
        bml_sample__fill(u, 2 * pairs, rng);
        for (int i = 0; i < pairs; i++) {
            u[i] = -2 * bml_sample__ln(u[i]);
        }
        bml_sample__roots(u, u, pairs);
        for (int i = 0; i < pairs; i++) {
            double sine;
            double cosine = bml_sample__cos_turn(&sine, u[pairs + i]);
            both[i] = u[i] * cosine;
            both[pairs + i] = u[i] * sine;
        }
        memcpy(x, both, bml_sample__bytes(m, sizeof *x));
        x += m;
    }
    bml_sample__leave_vectors();
}

/* u of the next m numbers: those given, or fresh ones in room[]. */
static const double *bml_sample__uniforms_of(double *room, const double *u, ptrdiff_t done, int m,
                                             bml_sample_rng *rng) {
    if (u) {
        return u + done;
    }
    bml_sample__fill(room, m, rng);
    return room;
}

/* Gauss-Legendre, 16 points, on [-1,1] (Abramowitz & Stegun 1964, table 25.4) */
static const double bml_sample__gl_x[8] = {0.0950125098376374402, 0.2816035507792589132, 0.4580167776572273863,
                                           0.6178762444026437484, 0.7554044083550030339, 0.8656312023878317439,
                                           0.9445750230732325761, 0.9894009349916499326};
static const double bml_sample__gl_w[8] = {0.1894506104550684963, 0.1826034150449235889, 0.1691565193950025382,
                                           0.1495959888165767321, 0.1246289712555338720, 0.0951585116824927848,
                                           0.0622535239386478929, 0.0271524594117540949};

/* Weight of point k, 0 ... 15, ascending. */
static double bml_sample__gl_weight(int k) {
    return bml_sample__gl_w[k < 8 ? 7 - k : k - 8];
}

/* x[16] on [a,b], ascending. */
static void bml_sample__gl_points(double *x, double a, double b) {
    for (int i = 0; i < 8; i++) {
        double middle = 0.5 * (a + b);
        double away = 0.5 * (b - a) * bml_sample__gl_x[i];
        x[7 - i] = middle - away;
        x[8 + i] = middle + away;
    }
}

static double bml_sample__gl_sum(const double *p, double a, double b) {
    double sum = 0;
    for (int i = 0; i < 8; i++) {
        sum += bml_sample__gl_w[i] * (p[7 - i] + p[8 + i]);
    }
    return 0.5 * (b - a) * sum;
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
    double last = 8.9216910204564526e-13 + s * -1.9939295860721076e-14;
    double high = 1.0 / 526901760 + s * (-4.0647616451442255e-11 + s * last);
    double middle = 1.0 / 211680 + s * (-1.0 / 10886400 + s * high);
    double odd = 1.0 / 36 + s * (-1.0 / 3600 + s * middle);
    return s * (1.0 / 4 + l * odd);
}

typedef struct bml_sample__parts {
    double z;
    double E;
    double q;
    double ln_q;
    double A2;
    double A3;
    double A4;
    double M3;
    double M4;
    double M5;
    double D;
} bml_sample__parts;

/* 1/n */
static const double bml_sample__over[29] = {
    0,        1,        1.0 / 2,  1.0 / 3,  1.0 / 4,  1.0 / 5,  1.0 / 6,  1.0 / 7,  1.0 / 8,  1.0 / 9,
    1.0 / 10, 1.0 / 11, 1.0 / 12, 1.0 / 13, 1.0 / 14, 1.0 / 15, 1.0 / 16, 1.0 / 17, 1.0 / 18, 1.0 / 19,
    1.0 / 20, 1.0 / 21, 1.0 / 22, 1.0 / 23, 1.0 / 24, 1.0 / 25, 1.0 / 26, 1.0 / 27, 1.0 / 28};

/* Terms that are needed: E^(n-4) < 1e-15. */
static int bml_sample__terms(double E) {
    if (E < 1e-3) {
        return 8;
    }
    if (E < 0.03) {
        return 13;
    }
    return E < 0.1 ? 19 : 28;
}

static void bml_sample__power_sums(bml_sample__parts *p, double E) {
    double a3 = 0;
    double m3 = 0;
    double m4 = 0;
    double m5 = 0;
    for (int n = bml_sample__terms(E); n >= 5; n--) {
        double r = bml_sample__over[n];
        a3 = a3 * E + r;
        m3 = m3 * E + (1 - 2 * r);
        m4 = m4 * E + (1 - 3 * r);
        m5 = m5 * E + (1 - 4 * r);
    }
    double E2 = E * E;
    p->A4 = E2 * E2 * (0.25 + E * a3);
    p->M5 = E2 * E2 * E * m5;
    a3 = 1.0 / 3 + E * (0.25 + E * a3);
    p->A2 = E2 * (0.5 + E * a3);
    p->A3 = E2 * E * a3;
    m3 = 1.0 / 3 + E * (0.5 + E * m3);
    p->M3 = E2 * E * m3;
    p->M4 = E2 * E2 * (0.25 + E * m4);
}

static void bml_sample__split_parts(bml_sample__parts *p, double l, double b, double ln_b) {
    double z = expm1(l);
    double E = z / (1 + z);
    double q = z / b < 1 ? z / b : 1;
    double E2 = E * E;
    p->z = z;
    p->E = E;
    p->q = q;
    p->ln_q = log(q);
    if (E < 0.25) {
        bml_sample__power_sums(p, E);
    } else {
        p->A2 = l - E;
        p->A3 = p->A2 - 0.5 * E2;
        p->A4 = p->A3 - E2 * E / 3;
        p->M3 = z - 2 * l + E;
        p->M4 = z - 3 * l + 2 * E + 0.5 * E2;
        p->M5 = z - 4 * l + 3 * E + E2 + E2 * E / 3;
    }
    if (z <= 1) {
        p->D = bml_sample__dilog(l);
        return;
    }
    double ln_z = p->ln_q + ln_b;
    double rest = log1p(1 / z);
    double squares = BML_SAMPLE__PI * BML_SAMPLE__PI / 6 + 0.5 * ln_z * ln_z;
    p->D = squares - (bml_sample__dilog(rest) + rest) - l;
}

static double bml_sample__G_of(const bml_sample__parts *p, double l, double b) {
    double in_b = 2 * (p->ln_q * p->A2 - p->D) + p->A2 - 0.5 * p->M4;
    double thomson = 0.5 * (l + p->E - 0.5 * p->E * p->E);
    return thomson + in_b / b - 2 * p->M3 / b / b;
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
    for (int n = 14; n >= 3; n--) {
        sum = (1 - l * sum) / n; /* l^3/3! - l^4/4! + ... = (l^2/2) l sum */
    }
    double bernoulli = 1.0 / 211680 + s * (-1.0 / 10886400 + s / 526901760);
    bernoulli = s * (-1.0 / 3600 + s * bernoulli);
    return -l * s * (0.25 * sum + 1.0 / 36 + bernoulli);
}

/* sums[3] = G, int f (1-E) dE, int f E dE from 0 to l. */
static void bml_sample__sums(double *sums, double l, double b) {
    bml_sample__parts p;
    bml_sample__split_parts(&p, l, b, log(b));
    double E2 = p.E * p.E;
    double D3 = p.E < 0.25 ? bml_sample__third_order(l) : 0.5 * p.A2 - p.D;
    double K_b = E2 * p.ln_q - p.A2 + 0.5 * E2 - 0.5 * p.A4;
    double J_b = 2 * (p.ln_q * p.A3 + D3) + p.A3 - 0.5 * p.M5;
    sums[0] = bml_sample__G_of(&p, l, b);
    double K_thomson = p.E - 0.5 * E2 + E2 * p.E / 6;
    sums[1] = K_thomson + K_b / b - 2 * p.A3 / b / b;
    double J_thomson = 0.5 * (E2 + p.A4);
    sums[2] = J_thomson + J_b / b - 2 * p.M4 / b / b;
}

/* f(q) with p = 1 - q given too, precise also where p is small. */
static double bml_sample__kernel(double q, double p, double z) {
    double ln_q = p < 0.5 ? log1p(-p) : log(q);
    double thomson = 2 * q * ln_q + (1 + 2 * q) * p;
    return thomson + z * z * p / (2 * (1 + z));
}

/* int f dE from q to 1, by quadrature in 1 - q: precise where little is left. q >= 0.4. */
static double bml_sample__above(double p, double b) {
    double x[16];
    double y[16];
    bml_sample__gl_points(x, 0, p);
    for (int i = 0; i < 16; i++) {
        double q = 1 - x[i];
        double z = b * q;
        double w = 1 + z;
        y[i] = bml_sample__kernel(q, x[i], z) * b / (w * w);
    }
    return bml_sample__gl_sum(y, 0, p);
}

/* One electron and one photon energy, prepared for inversion. */
typedef struct bml_sample__pair_of {
    double b;
    double ln_b;
    double L;
    double total;
    double u_min;
    double l_min;
    double p_min; /* 1 - q(eps0) */
    double left;  /* int f dE from eps0 on, where edge */
    int edge;     /* only the last part of the spectrum is left: q > 0.4 at eps0 */
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
    if (!(s->p_min > 1e-16)) {
        s->p_min = 1e-16; /* rounding */
    }
    s->edge = s->p_min < 0.6;
    s->left = s->edge ? bml_sample__above(s->p_min, s->b) : 0;
    double below = E;
    if (E >= 1e-16 * s->total) {
        below = bml_sample__G(s->l_min, s->b, s->ln_b);
    }
    s->u_min = s->edge ? 1 - s->left / s->total : below / s->total;
}

/* The conditional CDF at l, its complement, and its derivative with respect to l. */
static double bml_sample__conditional(double *above, double *slope, double l, const bml_sample__pair_of *s) {
    if (s->edge) {
        double z = expm1(l);
        double p = (s->b - z) / s->b; /* p > 0 as l < L */
        p = p > 0 ? p : 0;
        *above = bml_sample__above(p, s->b) / s->left;
        *slope = bml_sample__kernel(1 - p, p, z) / ((1 + z) * s->left);
        return 1 - *above;
    }
    bml_sample__parts parts;
    bml_sample__split_parts(&parts, l, s->b, s->ln_b);
    double c = bml_sample__G_of(&parts, l, s->b) / s->total;
    double z = parts.z;
    double q = parts.q;
    double left = 1 - s->u_min;
    double thomson = 2 * q * parts.ln_q + (1 + 2 * q) * (1 - q);
    double f = thomson + z * z * (1 - q) / (2 * (1 + z));
    *slope = f / ((1 + z) * s->total * left);
    c = (c - s->u_min) / left;
    *above = 1 - c;
    return c;
}

/* l at u by Newton steps from a first guess: on the CDF in its lower half, on the root of its complement, which is
   nearly straight, in its upper half; halving the bracket where a step leaves it. */
static double bml_sample__invert(double u, double l, const bml_sample__pair_of *s) {
    double lo = s->l_min;
    double hi = s->L;
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
        double c = bml_sample__conditional(&above, &slope, l, s);
        double error = u < 0.5 ? c - u : (1 - u) - above;
        double lower = u < 0.5 ? u : 1 - u;
        double noise = s->edge || u < 0.5 ? 0 : 2e-16;
        int last = fabs(error) <= 1e-8 * lower; /* the next error is about the square of this one */
        if (fabs(error) <= 1e-14 * lower + noise) {
            break;
        }
        if (error > 0) {
            hi = l;
        } else {
            lo = l;
        }
        double step = -error / slope;
        if (u >= 0.5) {
            double root = sqrt(above > 0 ? above : 0);
            step = 2 * root * (root - sqrt(1 - u)) / slope;
        }
        if (l + step > lo && l + step < hi) {
            l += step;
        } else if (!last) {
            l = 0.5 * (lo + hi);
        }
        if (last || !(hi - lo > 2e-16 * hi)) {
            break;
        }
    }
    return l;
}

/* gamma and eps0 in the domain; 1e11f and 1e-13f are. */
static int bml_sample__in_domain(double gamma, double eps0) {
    int sizes = bml_sample__within(gamma, 1, 1.0000001e11) && bml_sample__within(eps0, 0.9999999e-13, 1e2);
    return sizes && (gamma < (double)bml_sample__kernel_from || gamma - eps0 > 0.25 / gamma);
}

/* Where the kernel has a spectrum. */
static int bml_sample__has_kernel(double gamma, double eps0) {
    return bml_sample__in_domain(gamma, eps0) && gamma - eps0 > 0.25 / gamma;
}

/* N(t, s) exactly: from the inverse CDF of the whole kernel. Limits at t = 0, 1 from a point near by. */
static double bml_sample__node(double t, double s) {
    bml_sample__pair_of pair;
    memset(&pair, 0, sizeof pair);
    t = t > 1e-5 ? t : 1e-5;
    t = t < 1 - 1e-5 ? t : 1 - 1e-5;
    s = s > 1e-12 ? s : 1e-12;
    pair.L = 4 * s / (1 - s);
    pair.b = expm1(pair.L);
    pair.ln_b = log(pair.b);
    pair.total = bml_sample__G(pair.L, pair.b, pair.ln_b);
    double l = bml_sample__invert(t * (2 - t), pair.L * t, &pair);
    return (l / pair.L - t) / (t * (1 - t));
}

BML_SAMPLE_DEF int bml_sample_compton_table(bml_sample_compton_nodes *nodes) {
    if (!nodes) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    for (int k = 0; k < BML_SAMPLE__NS; k++) {
        for (int j = 0; j < BML_SAMPLE__NT; j++) {
            double p = (double)j / (BML_SAMPLE__NT - 1);
            double s = (double)bml_sample__s_max * k / (BML_SAMPLE__NS - 1);
            nodes->n[k * BML_SAMPLE__NT + j] = (float)bml_sample__node(p * p, s);
        }
    }
    nodes->ready = 1;
    return BML_SAMPLE_OK;
}

/* >> Compton: batches
   Chunks of 256 photons go through one array after the other, in vector registers; those that the approximations do not
   cover are done again, one by one, at the end. */

/* What a chunk of photons goes through. */
typedef struct bml_sample__chunk {
    float gamma[BML_SAMPLE__CHUNK];
    float eps0[BML_SAMPLE__CHUNK];
    float L[BML_SAMPLE__CHUNK];    /* ln(1+b) */
    float s[BML_SAMPLE__CHUNK];    /* L/(L+4) */
    float low[BML_SAMPLE__CHUNK];  /* u_min */
    float high[BML_SAMPLE__CHUNK]; /* 1 - u_min */
    float u[BML_SAMPLE__CHUNK];
    float v[BML_SAMPLE__CHUNK]; /* 1-u, with relative precision as u */
    float t[BML_SAMPLE__CHUNK];
    float r[BML_SAMPLE__CHUNK]; /* 1-t */
    float n[BML_SAMPLE__CHUNK]; /* N(t, s) */
    float q[BML_SAMPLE__CHUNK]; /* q(eps0) */
    float eps[BML_SAMPLE__CHUNK];
    float rest[BML_SAMPLE__CHUNK];
    int edge;  /* some have q(eps0) > 0.26 */
    int exact; /* some have gamma < 20 */
} bml_sample__chunk;

/* Everything that depends on gamma and eps0 alone. */
static void bml_sample__prepare_chunk(bml_sample__chunk *BML_SAMPLE__RESTRICT c, int m) {
    for (int i = 0; i < m; i++) {
        c->low[i] = bml_sample__start(&c->q[i], c->gamma[i], c->eps0[i]);
    }
    for (int i = 0; i < m; i++) {
        float L = bml_sample__log1pf(4 * c->gamma[i] * c->eps0[i]);
        float s = L / (L + 4);
        float low = c->low[i] * bml_sample__per_total(s) / L;
        low = bml_sample__choose(bml_sample__is_below(0.26f, c->q[i]), 0, low);
        c->L[i] = L;
        c->s[i] = s;
        c->low[i] = low;
        c->high[i] = 1 - low;
    }
    int edge = 0;
    int exact = 0;
    for (int i = 0; i < m; i++) {
        edge |= !(c->q[i] <= 0.26f);
        exact |= c->gamma[i] < bml_sample__kernel_from;
    }
    c->edge = edge;
    c->exact = exact;
}

/* t and 1 - t of u' = u_min + (1 - u_min) u. */
static void bml_sample__coordinate(bml_sample__chunk *BML_SAMPLE__RESTRICT c, int m) {
    for (int i = 0; i < m; i++) {
        float r = sqrtf(c->high[i] * c->v[i]);
        c->r[i] = r;
        float all = c->low[i] + c->high[i] * c->u[i];
        c->t[i] = all / (1 + r);
    }
}

/* The first layer, two units at a time: they share one division, the slowest part of a tanh: a/A = a B/(A B). */
static void bml_sample__first_layer(float (*h)[BML_SAMPLE__CHUNK], const bml_sample__chunk *BML_SAMPLE__RESTRICT c,
                                    const float *w, int m) {
    for (int k = 0; k < 8; k += 2) {
        const float t0 = w[k];
        const float s0 = w[8 + k];
        const float t1 = w[k + 1];
        const float s1 = w[9 + k];
        const float bias0 = w[16 + k];
        const float bias1 = w[17 + k];
        float *BML_SAMPLE__RESTRICT out0 = h[k];
        float *BML_SAMPLE__RESTRICT out1 = h[k + 1];
        for (int i = 0; i < m; i++) {
            float A;
            float B;
            float a_in = bias0 + t0 * c->t[i] + s0 * c->s[i];
            float b_in = bias1 + t1 * c->t[i] + s1 * c->s[i];
            float a = bml_sample__tanh_parts(&A, a_in);
            float b = bml_sample__tanh_parts(&B, b_in);
            float one = 1 / (A * B);
            out0[i] = a * B * one;
            out1[i] = b * A * one;
        }
    }
}

/* n += v0 tanh(bias0 + x h) + v1 tanh(bias1 + y h), columns x and y of w. */
static void bml_sample__second_units(float *BML_SAMPLE__RESTRICT n, float (*h)[BML_SAMPLE__CHUNK], const float *w,
                                     int m) {
    const float x0 = w[0];
    const float x1 = w[8];
    const float x2 = w[16];
    const float x3 = w[24];
    const float x4 = w[32];
    const float x5 = w[40];
    const float x6 = w[48];
    const float x7 = w[56];
    const float y0 = w[1];
    const float y1 = w[9];
    const float y2 = w[17];
    const float y3 = w[25];
    const float y4 = w[33];
    const float y5 = w[41];
    const float y6 = w[49];
    const float y7 = w[57];
    const float bias0 = w[64];
    const float bias1 = w[65];
    const float v0 = w[72];
    const float v1 = w[73];
    for (int i = 0; i < m; i++) {
        float A;
        float B;
        float h0 = h[0][i];
        float h1 = h[1][i];
        float h2 = h[2][i];
        float h3 = h[3][i];
        float h4 = h[4][i];
        float h5 = h[5][i];
        float h6 = h[6][i];
        float h7 = h[7][i];
        float a_first = bias0 + x0 * h0 + x1 * h1 + x2 * h2 + x3 * h3;
        float b_first = bias1 + y0 * h0 + y1 * h1 + y2 * h2 + y3 * h3;
        float a_last = x4 * h4 + x5 * h5 + x6 * h6 + x7 * h7;
        float b_last = y4 * h4 + y5 * h5 + y6 * h6 + y7 * h7;
        float a = bml_sample__tanh_parts(&A, a_first + a_last);
        float b = bml_sample__tanh_parts(&B, b_first + b_last);
        n[i] += (v0 * a * B + v1 * b * A) / (A * B);
    }
}

static void bml_sample__network_chunk(bml_sample__chunk *BML_SAMPLE__RESTRICT c, int m) {
    float h[8][BML_SAMPLE__CHUNK];
    const float *w = bml_sample__weights();
    bml_sample__first_layer(h, c, w, m);
    for (int i = 0; i < m; i++) {
        c->n[i] = w[104];
    }
    for (int k = 0; k < 8; k += 2) {
        bml_sample__second_units(c->n, h, w + 24 + k, m);
    }
}

static void bml_sample__hidden(bml_sample__chunk *BML_SAMPLE__RESTRICT c, const bml_sample_compton_nodes *nodes,
                               int method, int m) {
    bml_sample__coordinate(c, m);
    if (method != BML_SAMPLE_TABLE) {
        bml_sample__network_chunk(c, m);
        return;
    }
    const float *BML_SAMPLE__RESTRICT node = nodes->n;
    for (int i = 0; i < m; i++) {
        c->n[i] = bml_sample__lookup(node, c->t[i], c->s[i]);
    }
}

static void bml_sample__energies(bml_sample__chunk *BML_SAMPLE__RESTRICT c, int m) {
    for (int i = 0; i < m; i++) {
        float E;
        float L = c->L[i];
        float l = L * (c->t[i] * (1 + c->r[i] * c->n[i]));
        l = bml_sample__least(l, L);
        c->rest[i] = bml_sample__expf(&E, l);
        float eps = c->gamma[i] * E;
        c->eps[i] = bml_sample__most(eps, c->eps0[i]);
    }
}

/* l of photon i by inversion, from the network's guess. */
static double bml_sample__exact(const bml_sample__chunk *c, int i, double gamma, double eps0, double u) {
    bml_sample__pair_of pair;
    bml_sample__prepare_pair(&pair, gamma, eps0);
    float share = c->t[i] * (1 + c->r[i] * c->n[i]);
    double guess = (double)(c->L[i] * share);
    return bml_sample__invert(u, guess, &pair);
}

/* Photons below gamma = 20, ends of spectra, and with EXACT all. */
static void bml_sample__special_energies(bml_sample__chunk *c, int method, int m) {
    for (int i = 0; i < m; i++) {
        float gamma = c->gamma[i];
        float eps0 = c->eps0[i];
        float low = c->u[i];
        float high = c->v[i];
        if (bml_sample__collidesf(gamma, eps0, low, high)) {
            c->eps[i] = bml_sample__two_bodyf(&c->rest[i], gamma, eps0, low, high);
            continue;
        }
        if (method != BML_SAMPLE_EXACT && c->q[i] <= 0.26f) {
            continue;
        }
        double u = low < 0.5f ? (double)low : 1 - (double)high;
        double l = bml_sample__exact(c, i, (double)gamma, (double)eps0, u);
        float eps = (float)(-expm1(-l) * (double)gamma);
        c->rest[i] = (float)exp(-l);
        c->eps[i] = eps > eps0 ? eps : eps0;
    }
}

/* Strides as they are meant: 0 is 1, and one number for all does not move. */
typedef struct bml_sample__strides {
    ptrdiff_t gamma, eps0, u, rest, energy;
} bml_sample__strides;

#define BML_SAMPLE__STRIDES(to, how)                    \
    do {                                                \
        (to).gamma = (how)->gamma_stride;               \
        (to).eps0 = (how)->eps0_stride;                 \
        (to).u = (how)->u_stride ? (how)->u_stride : 1; \
        (to).rest = (how)->rest_stride;                 \
        (to).energy = (how)->energy_stride;             \
        if (!(to).gamma) (to).gamma = 1;                \
        if (!(to).eps0) (to).eps0 = 1;                  \
        if (!(to).rest) (to).rest = 1;                  \
        if (!(to).energy) (to).energy = 1;              \
        if ((how)->one_gamma) (to).gamma = 0;           \
        if ((how)->one_eps0) (to).eps0 = 0;             \
    } while (0)

static int bml_sample__bad_method(int method, const bml_sample_compton_nodes *nodes) {
    if (method == BML_SAMPLE_TABLE) {
        return !nodes || nodes->ready != 1;
    }
    return method != BML_SAMPLE_NET && method != BML_SAMPLE_EXACT;
}

/* Domain on contiguous arrays, in float and on bits, so that long ones are checked in vector registers. */
static int bml_sample__bad_pairs(const float *BML_SAMPLE__RESTRICT gamma, const float *BML_SAMPLE__RESTRICT eps0,
                                 ptrdiff_t n) {
    int bad = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        float g = gamma[i];
        float e = eps0[i];
        int closed = !((g - e) * g > 0.25f);
        int high = !(g < bml_sample__kernel_from);
        bad |= !bml_sample__withinf(g, 1, 1e11f);
        bad |= !bml_sample__withinf(e, 0.99999998e-13f, 1e2f);
        bad |= closed & high;
    }
    return bad;
}

static int bml_sample__check_photonsf(const bml_sample_photonsf *how, const bml_sample__strides *s) {
    int bad = 0;
    ptrdiff_t n = (ptrdiff_t)how->n;
    for (ptrdiff_t i = 0; how->u && i < n; i++) {
        bad |= !bml_sample__in_unitf(how->u[i * s->u]);
    }
    if (bad) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    if (s->gamma == 1 && s->eps0 == 1) {
        bad = bml_sample__bad_pairs(how->gamma, how->eps0, n);
    } else {
        bad = bml_sample_compton_findf(how) != how->n;
    }
    return bad ? BML_SAMPLE_OUT_OF_DOMAIN : BML_SAMPLE_OK;
}

/* u and 1 - u from the words of the generator (31 bits each), or those given. */
static void bml_sample__uniforms(bml_sample__chunk *BML_SAMPLE__RESTRICT c, const float *u, ptrdiff_t stride, int m,
                                 bml_sample_rng *rng) {
    uint32_t words[BML_SAMPLE__CHUNK];
    const float step = 1.0f / 2147483648.0f;
    if (u) {
        for (int i = 0; i < m; i++) {
            c->u[i] = u[i * stride];
            c->v[i] = 1 - c->u[i];
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

/* gamma and eps0 of the chunk that begins at done. */
static void bml_sample__load(bml_sample__chunk *BML_SAMPLE__RESTRICT c, const bml_sample_photonsf *how,
                             const bml_sample__strides *s, ptrdiff_t done, int m) {
    const float *gamma = how->gamma + done * s->gamma;
    const float *eps0 = how->eps0 + done * s->eps0;
    if (s->gamma == 1 && s->eps0 == 1) {
        memcpy(c->gamma, gamma, bml_sample__bytes(m, sizeof(float)));
        memcpy(c->eps0, eps0, bml_sample__bytes(m, sizeof(float)));
    } else {
        for (int i = 0; i < m; i++) {
            c->gamma[i] = gamma[i * s->gamma];
            c->eps0[i] = eps0[i * s->eps0];
        }
    }
    bml_sample__prepare_chunk(c, m);
}

static void bml_sample__store(float *BML_SAMPLE__RESTRICT to, const float *BML_SAMPLE__RESTRICT from, ptrdiff_t stride,
                              int m) {
    if (stride == 1) {
        memcpy(to, from, bml_sample__bytes(m, sizeof(float)));
    } else {
        for (int i = 0; i < m; i++) {
            to[i * stride] = from[i];
        }
    }
}

BML_SAMPLE_DEF int bml_sample_comptonf(float *energy, const bml_sample_photonsf *how, bml_sample_rng *rng) {
    if (!energy || !how || !how->gamma || !how->eps0 || (!how->u && !rng)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    if (bml_sample__bad_method(how->method, how->nodes)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    bml_sample__strides s;
    BML_SAMPLE__STRIDES(s, how);
    int status = bml_sample__check_photonsf(how, &s);
    if (status) return status;
    bml_sample__chunk c;
    int m;
    for (ptrdiff_t done = 0; done < (ptrdiff_t)how->n; done += m) {
        m = bml_sample__chunk_of((ptrdiff_t)how->n - done);
        if (!done || s.gamma || s.eps0) {
            bml_sample__load(&c, how, &s, done, m);
        }
        const float *u = how->u ? how->u + done * s.u : NULL;
        bml_sample__uniforms(&c, u, s.u, m, rng);
        bml_sample__hidden(&c, how->nodes, how->method, m);
        if (how->method != BML_SAMPLE_EXACT) {
            bml_sample__energies(&c, m);
        }
        int special = how->method == BML_SAMPLE_EXACT || c.edge || c.exact;
        if (special) {
            bml_sample__special_energies(&c, how->method, m);
        }
        bml_sample__store(energy + done * s.energy, c.eps, s.energy, m);
        if (how->rest) {
            bml_sample__store(how->rest + done * s.rest, c.rest, s.rest, m);
        }
    }
    bml_sample__leave_vectors();
    return BML_SAMPLE_OK;
}

/* One photon in double: a collision, an inversion, or the hidden function N, which is right to 1e-5 in float. */
static double bml_sample__double_energy(double *rest, const bml_sample__chunk *c, int i, double gamma, double eps0,
                                        double u, int method, double L) {
    double eps;
    uint32_t name[4];
    uint64_t bits = bml_sample__bits64(u);
    name[0] = bml_sample__bits(c->gamma[i]);
    name[1] = bml_sample__bits(c->eps0[i]);
    name[2] = (uint32_t)bits;
    name[3] = (uint32_t)(bits >> 32);
    if (bml_sample__collides(gamma, eps0, name)) {
        eps = bml_sample__two_body(gamma, eps0, name);
        *rest = (gamma - eps) / gamma;
        return eps;
    }
    double l;
    if (method == BML_SAMPLE_EXACT || !(c->q[i] <= 0.26f)) {
        l = bml_sample__exact(c, i, gamma, eps0, u);
    } else {
        double high = (double)c->high[i];
        double r = sqrt(high * (1 - u));
        double all = (double)c->low[i] + high * u;
        double t = all / (1 + r);
        l = L * t * (1 + r * (double)c->n[i]);
        l = l < L ? l : L;
    }
    *rest = exp(-l);
    eps = -expm1(-l) * gamma;
    return eps > eps0 ? eps : eps0;
}

static int bml_sample__check_photons(const bml_sample_photons *how, const bml_sample__strides *s) {
    int bad = 0;
    for (ptrdiff_t i = 0; how->u && i < (ptrdiff_t)how->n; i++) {
        bad |= !bml_sample__in_unit(how->u[i * s->u]);
    }
    if (bad) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    return bml_sample_compton_find(how) == how->n ? BML_SAMPLE_OK : BML_SAMPLE_OUT_OF_DOMAIN;
}

/* The chunk that begins at done: gamma, eps0 and u as floats, u[m] as doubles. */
static void bml_sample__load_doubles(bml_sample__chunk *c, double *u, const bml_sample_photons *how,
                                     const bml_sample__strides *s, ptrdiff_t done, int m, bml_sample_rng *rng) {
    if (!how->u) {
        bml_sample__fill(u, m, rng);
    }
    for (int i = 0; how->u && i < m; i++) {
        u[i] = how->u[(done + i) * s->u];
    }
    for (int i = 0; i < m; i++) {
        c->u[i] = (float)u[i];
        c->v[i] = (float)(1 - u[i]);
    }
    if (done && !s->gamma && !s->eps0) {
        return;
    }
    for (int i = 0; i < m; i++) {
        c->gamma[i] = (float)how->gamma[(done + i) * s->gamma];
        c->eps0[i] = (float)how->eps0[(done + i) * s->eps0];
    }
    bml_sample__prepare_chunk(c, m);
}

BML_SAMPLE_DEF int bml_sample_compton(double *energy, const bml_sample_photons *how, bml_sample_rng *rng) {
    if (!energy || !how || !how->gamma || !how->eps0 || (!how->u && !rng)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    if (bml_sample__bad_method(how->method, how->nodes)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    bml_sample__strides s;
    BML_SAMPLE__STRIDES(s, how);
    int status = bml_sample__check_photons(how, &s);
    if (status) return status;
    double u[BML_SAMPLE__CHUNK];
    double L = 0;
    bml_sample__chunk c;
    int m;
    for (ptrdiff_t done = 0; done < (ptrdiff_t)how->n; done += m) {
        m = bml_sample__chunk_of((ptrdiff_t)how->n - done);
        bml_sample__load_doubles(&c, u, how, &s, done, m, rng);
        bml_sample__hidden(&c, how->nodes, how->method, m);
        bml_sample__leave_vectors();
        for (ptrdiff_t i = done; i < done + m; i++) {
            double gamma = how->gamma[i * s.gamma];
            double eps0 = how->eps0[i * s.eps0];
            double rest;
            int at = (int)(i - done);
            if (i == 0 || s.gamma || s.eps0) {
                L = log1p(4 * gamma * eps0);
            }
            double eps = bml_sample__double_energy(&rest, &c, at, gamma, eps0, u[at], how->method, L);
            energy[i * s.energy] = eps;
            if (how->rest) {
                how->rest[i * s.rest] = rest;
            }
        }
    }
    return BML_SAMPLE_OK;
}

BML_SAMPLE_DEF size_t bml_sample_compton_find(const bml_sample_photons *how) {
    bml_sample__strides s;
    BML_SAMPLE__STRIDES(s, how);
    ptrdiff_t n = (ptrdiff_t)how->n;
    if (!s.gamma && !s.eps0) {
        n = n > 0;
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        double gamma = how->gamma[i * s.gamma];
        double eps0 = how->eps0[i * s.eps0];
        if (!bml_sample__in_domain(gamma, eps0)) {
            return (size_t)i;
        }
    }
    return how->n;
}

BML_SAMPLE_DEF size_t bml_sample_compton_findf(const bml_sample_photonsf *how) {
    bml_sample__strides s;
    BML_SAMPLE__STRIDES(s, how);
    ptrdiff_t n = (ptrdiff_t)how->n;
    if (!s.gamma && !s.eps0) {
        n = n > 0;
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        const float *gamma = how->gamma + i * s.gamma;
        const float *eps0 = how->eps0 + i * s.eps0;
        if (bml_sample__bad_pairs(gamma, eps0, 1)) {
            return (size_t)i;
        }
    }
    return how->n;
}

BML_SAMPLE_DEF int bml_sample_compton_cdf(double *cdf, double eps, double gamma, double eps0) {
    if (!cdf || !bml_sample__finite(eps)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    if (!bml_sample__has_kernel(gamma, eps0)) {
        return BML_SAMPLE_OUT_OF_DOMAIN;
    }
    double rest = 1 - eps / gamma;
    bml_sample__pair_of s;
    bml_sample__prepare_pair(&s, gamma, eps0);
    double above;
    double slope;
    *cdf = 0;
    if (eps <= eps0) {
        return BML_SAMPLE_OK;
    }
    *cdf = 1;
    if (!(rest > 0) || -log1p(-eps / gamma) >= s.L) {
        return BML_SAMPLE_OK;
    }
    *cdf = bml_sample__conditional(&above, &slope, -log1p(-eps / gamma), &s);
    return BML_SAMPLE_OK;
}

BML_SAMPLE_DEF int bml_sample_compton_pdf(double *pdf, double eps, double gamma, double eps0) {
    if (!pdf || !bml_sample__finite(eps)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    if (!bml_sample__has_kernel(gamma, eps0)) {
        return BML_SAMPLE_OUT_OF_DOMAIN;
    }
    double rest = 1 - eps / gamma;
    bml_sample__pair_of s;
    bml_sample__prepare_pair(&s, gamma, eps0);
    *pdf = 0;
    if (eps < eps0 || !(rest > 0) || -log1p(-eps / gamma) >= s.L) {
        return BML_SAMPLE_OK;
    }
    double above;
    double slope;
    bml_sample__conditional(&above, &slope, -log1p(-eps / gamma), &s);
    *pdf = slope / (rest * gamma); /* dl/deps = 1/(gamma (1-E)) */
    return BML_SAMPLE_OK;
}

BML_SAMPLE_DEF int bml_sample_compton_rates(bml_sample_rates *rates, double b) {
    double sums[3];
    if (!rates || !bml_sample__within(b, DBL_MIN, 1e100)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    if (b < 1e-100) {
        sums[0] = b / 3;
        sums[1] = b / 3;
        sums[2] = b * (b / 9);
    } else {
        bml_sample__sums(sums, log1p(b), b);
    }
    rates->rate = 3 * (sums[0] / b);
    rates->loss = 3 * (sums[2] / b);
    rates->mean_energy = sums[2] / sums[0];
    rates->mean_rest = sums[1] / sums[0];
    return BML_SAMPLE_OK;
}

/* >> Compton: directions
   Of the kernel's photons by head-on kinematics; of single collisions exactly. */

static int bml_sample__is_unit(const double *a) {
    if (!a || !bml_sample__all_finite(a, 3)) {
        return 0;
    }
    return fabs(bml_sample__dot(a, a) - 1) <= 1e-6;
}

/* out[3]: at cosine 1 - minus to a, azimuth phi; a unit vector to rounding. */
static void bml_sample__turn(double *out, const double *a, double minus, double phi) {
    double first[3];
    double second[3];
    double axis[3];
    double sine = sqrt(minus > 0 && minus < 2 ? minus * (2 - minus) : 0);
    memcpy(axis, a, sizeof axis);
    bml_sample__across(first, axis);
    bml_sample__cross(second, axis, first);
    for (int i = 0; i < 3; i++) {
        double along = (1 - minus) * axis[i];
        double across = cos(phi) * first[i] + sin(phi) * second[i];
        out[i] = along + sine * across;
    }
}

/* With x the photon's energy in the rest frame of the electron, which it meets head on, and c the cosine there between
   the outgoing photon and the electron's velocity in the lab: E/(1-E) = z = x (1 + c). For a given z, x has the density
   (1-E) + 1/(1-E) - 1 + c^2, c = z/x - 1, on [z/2, b/2]; its integral is b f(q)/2. In the lab 1 - cos = (1 - beta)(1 -
   c)/((1 - beta) + beta (1 + c)). */
BML_SAMPLE_DEF int bml_sample_compton_direction(double *out, const double *direction, const bml_sample_event *event,
                                                bml_sample_rng *rng) {
    if (!out || !event || !rng || !bml_sample__is_unit(direction)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    double gamma = event->gamma;
    double eps0 = event->eps0;
    if (!bml_sample__has_kernel(gamma, eps0) || !bml_sample__finite(event->eps)) {
        return BML_SAMPLE_OUT_OF_DOMAIN;
    }
    double E = event->eps / gamma;
    double b = 4 * gamma * eps0;
    double highest = b / (1 + b) * (1 + 1e-5);
    if (!(event->eps >= eps0) || !(E <= highest)) {
        return BML_SAMPLE_OUT_OF_DOMAIN;
    }
    double z = E < 1 ? E / (1 - E) : b;
    if (!(z < b)) {
        z = b;
    }
    double base = 1 + z * z / (1 + z); /* (1-E) + 1/(1-E) - 1 */
    double plus;                       /* 1 + c */
    double c;
    do {
        double x = 0.5 * (z + (b - z) * bml_sample_rng_uniform(rng));
        plus = z / x < 2 ? z / x : 2;
        c = plus - 1;
    } while ((base + 1) * bml_sample_rng_uniform(rng) > base + c * c);
    double beta = sqrt((gamma - 1) * (gamma + 1)) / gamma;
    double slow = 1 / (gamma * gamma * (1 + beta));
    double phi = 2 * BML_SAMPLE__PI * bml_sample_rng_uniform(rng);
    double minus = slow * (2 - plus) / (slow + beta * plus);
    bml_sample__turn(out, direction, minus, phi);
    return BML_SAMPLE_OK;
}

static int bml_sample__bad_collision(const bml_sample_collision *how) {
    if (!how || !bml_sample__is_unit(how->photon)) {
        return 1;
    }
    int has_gamma = bml_sample__within(how->gamma, 1, 1e11);
    int has_photon = bml_sample__within(how->eps0, DBL_MIN, 1e100);
    if (!has_gamma || !has_photon) {
        return 1;
    }
    return how->gamma > 1 && !bml_sample__is_unit(how->electron);
}

/* 1 - cos of the angle of scattering, for x in the rest frame. */
static double bml_sample__recoil(double x, bml_sample_rng *rng) {
    double t;
    do {
        double u = bml_sample_rng_uniform(rng);
        double v = bml_sample_rng_uniform(rng);
        t = bml_sample__recoil_try(x, u, v, bml_sample_rng_uniform(rng));
    } while (t < 0);
    return t;
}

BML_SAMPLE_DEF int bml_sample_scatter(double *eps, double *out, const bml_sample_collision *how, bml_sample_rng *rng) {
    bml_sample_scattered after;
    if (!eps || !out) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    int status = bml_sample_scatter_stokes(&after, NULL, how, rng);
    if (status) return status;
    *eps = after.eps;
    memcpy(out, after.out, sizeof after.out);
    return BML_SAMPLE_OK;
}

static int bml_sample__bad_stokes(const bml_sample_stokes *s, const double *photon) {
    if (!bml_sample__is_unit(s->axis) || !bml_sample__all_finite(&s->q, 3)) {
        return 1;
    }
    double degree2 = s->q * s->q + s->u * s->u + s->v * s->v;
    double along = fabs(bml_sample__dot(s->axis, photon));
    return !(degree2 <= 1 + 1e-9) || along > 1e-6;
}

BML_SAMPLE_DEF int bml_sample_scatter_stokes(bml_sample_scattered *after, bml_sample_stokes *stokes,
                                             const bml_sample_collision *how, bml_sample_rng *rng) {
    if (!after || !rng || bml_sample__bad_collision(how)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    if (stokes && bml_sample__bad_stokes(stokes, how->photon)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    bml_sample__encounter e;
    bml_sample__encounter_of(&e, how);
    double t = bml_sample__recoil(e.meeting.x, rng);
    double v = bml_sample_rng_uniform(rng);
    if (stokes) {
        bml_sample__scatter_stokes(after, stokes, &e, how->photon, t, v);
    } else {
        bml_sample__scattered(after, &e, t, 2 * BML_SAMPLE__PI * v);
    }
    return BML_SAMPLE_OK;
}

/* Differential cross section over d(cos), over sigma_T: (3/8) r^2 (r + 1/r - sin^2), r = 1/(1 + x (1 - cos)). */
BML_SAMPLE_DEF double bml_sample_klein_nishina(double x) {
    double w = 1 + 2 * x;
    double sum = 0;
    double at[16];
    if (x == 0) {
        return 1;
    }
    if (!bml_sample__within(x, DBL_MIN, 1e100)) {
        return bml_sample__nan();
    }
    if (x > 0.5) {
        double l = log1p(2 * x);
        double bracket = 2 * (1 + x) / w - l / x;
        double first = (1 + x) / x * bracket / x;
        return 0.75 * (first + l / (2 * x) - (1 + 3 * x) / w / w);
    }
    bml_sample__gl_points(at, 0, 2);
    for (int i = 0; i < 16; i++) {
        double t = at[i];
        double r = 1 / (1 + x * t);
        double density = r + 1 / r - t * (2 - t);
        sum += bml_sample__gl_weight(i) * r * r * density;
    }
    return 0.375 * sum;
}

/* >> thermal electrons: tables
   Each table is an inverse CDF: the distribution is integrated over panels, and read off at even steps of the table's
   coordinate by cubic Hermite interpolation, the density giving the slopes. */

enum { BML_SAMPLE__PANELS = 512 };
static const double bml_sample__per_panel = 1.0 / 512;

/* x and dx/dk at the ends of panels, against k, which rises. */
typedef struct bml_sample__curve_of {
    double k[BML_SAMPLE__PANELS + 1];
    double x[BML_SAMPLE__PANELS + 1];
    double slope[BML_SAMPLE__PANELS + 1];
    double mass[BML_SAMPLE__PANELS]; /* of the panels */
    double density[BML_SAMPLE__PANELS + 1];
} bml_sample__curve_of;

/* Cubic Hermite of x[2] with slopes[2] between y[0] and y[1]. */
static double bml_sample__hermite(double at, const double *y, const double *x, const double *slope) {
    double h = y[1] - y[0];
    int stands = !(h > 0 || h < 0);
    double t = stands ? 0 : (at - y[0]) / h;
    double first = slope[0];
    double last = slope[1];
    double bend = 3 * (x[1] - x[0]) - h * (2 * first + last);
    double twist = 2 * (x[0] - x[1]) + h * (first + last);
    return x[0] + t * (h * first + t * (bend + t * twist));
}

/* row[n]: x at k = 0 ... top. */
static void bml_sample__read_off(float *row, int n, double top, const bml_sample__curve_of *c) {
    int i = 0;
    for (int j = 0; j < n; j++) {
        double k = top * j / (n - 1);
        while (i < BML_SAMPLE__PANELS - 1 && c->k[i + 1] < k) {
            i++;
        }
        double at = k < c->k[i + 1] ? k : c->k[i + 1];
        row[j] = (float)bml_sample__hermite(at, c->k + i, c->x + i, c->slope + i);
    }
}

/* k = sqrt(-ln(1 - C)) and its slopes from masses and densities; `below` lies before the first panel. */
static void bml_sample__tail_coordinate(bml_sample__curve_of *c, double below) {
    double total = below;
    double above = 0;
    double sum = below;
    for (int i = 0; i < BML_SAMPLE__PANELS; i++) {
        total += c->mass[i];
    }
    double left[BML_SAMPLE__PANELS + 1];
    left[BML_SAMPLE__PANELS] = 0;
    for (int i = BML_SAMPLE__PANELS - 1; i >= 0; i--) {
        above += c->mass[i];
        left[i] = above / total;
    }
    for (int i = 0; i <= BML_SAMPLE__PANELS; i++) {
        double C = sum / total;
        double beyond = left[i] > 1e-300 ? left[i] : 1e-300;
        double w = C < 0.5 ? -log1p(-C) : -log(beyond);
        c->k[i] = sqrt(w);
        double p = c->density[i] / total;
        beyond = C < 0.5 ? 1 - C : left[i];
        c->slope[i] = p > 0 ? 2 * c->k[i] * beyond / p : 0;
        if (i < BML_SAMPLE__PANELS) {
            sum += c->mass[i];
        }
    }
}

/* Density of y in -ln r = y L, for 2 x = e^L - 1. */
static double bml_sample__recoil_density(double y, double L) {
    double l = y * L;
    double r = exp(-l);
    double t = L > 1e-9 ? 2 * expm1(l) / expm1(L) : 2 * y;
    return r * (r + 1 / r - t * (2 - t));
}

static void bml_sample__recoil_row(float *row, double L, bml_sample__curve_of *c) {
    double sum = 0;
    double h = bml_sample__per_panel;
    for (int i = 0; i < BML_SAMPLE__PANELS; i++) {
        double ends = bml_sample__recoil_density(i * h, L) + bml_sample__recoil_density((i + 1) * h, L);
        double middle = bml_sample__recoil_density((i + 0.5) * h, L);
        c->mass[i] = h / 6 * (ends + 4 * middle); /* Simpson */
        sum += c->mass[i];
    }
    double below = 0;
    for (int i = 0; i <= BML_SAMPLE__PANELS; i++) {
        c->x[i] = i * h;
        c->k[i] = below / sum;
        c->slope[i] = sum / bml_sample__recoil_density(i * h, L);
        if (i < BML_SAMPLE__PANELS) {
            below += c->mass[i];
        }
    }
    c->k[BML_SAMPLE__PANELS] = 1;
    bml_sample__read_off(row, BML_SAMPLE__RECOIL_U, 1, c);
}

/* Juettner over p: p^2 e^-(gamma-1)/theta. */
static double bml_sample__juettner(double p, double theta) {
    double kinetic = p * p / (1 + sqrt(1 + p * p)); /* gamma - 1 */
    return p * p * exp(-kinetic / theta);
}

/* What electrons of theta reach: 45 theta of kinetic energy. */
static double bml_sample__momentum_top(double theta) {
    double kinetic = 45 * theta;
    return sqrt(kinetic * (kinetic + 2));
}

/* Panels even in sqrt(p), as the momentum is in k^2/3 at first. */
static void bml_sample__momentum_row(float *row, double theta, bml_sample__curve_of *c) {
    double top = bml_sample__momentum_top(theta);
    double scale = sqrt(theta * (2 + theta));
    double y[BML_SAMPLE__PANELS + 1];
    for (int i = 0; i <= BML_SAMPLE__PANELS; i++) {
        double share = i * bml_sample__per_panel;
        y[i] = top * share * share;
        c->x[i] = y[i] / scale;
        c->density[i] = bml_sample__juettner(y[i], theta) * scale;
    }
    for (int i = 0; i < BML_SAMPLE__PANELS; i++) {
        double p[16];
        bml_sample__gl_points(p, y[i], y[i + 1]);
        double sum = 0;
        for (int k = 0; k < 16; k++) {
            sum += bml_sample__gl_weight(k) * bml_sample__juettner(p[k], theta);
        }
        c->mass[i] = 0.5 * (y[i + 1] - y[i]) * sum;
    }
    bml_sample__tail_coordinate(c, 0);
    bml_sample__read_off(row, BML_SAMPLE__THERMAL_U, (double)bml_sample__thermal_top, c);
}

/* (1/2) int (1 - beta mu) sigma(gamma x (1 - beta mu)) dmu, by 16 points that crowd at the small ones. */
static double bml_sample__rate_at(double p, double x) {
    double gamma = sqrt(1 + p * p);
    double beta = p / gamma;
    double slow = 1 / (gamma * (gamma + p));
    double sum = 0;
    for (int i = 0; i < 8; i++) {
        for (int side = -1; side <= 1; side += 2) {
            double y = 0.5 + 0.5 * side * bml_sample__gl_x[i];
            double closing = slow + 2 * beta * y * y;
            double sigma = bml_sample_klein_nishina_fast(gamma * x * closing);
            sum += bml_sample__gl_w[i] * y * closing * sigma;
        }
    }
    return sum; /* dmu = 4 y dy, and the weights sum to 2 on an interval of 1 */
}

/* -ln of the hot cross section at theta for the table's x. */
static void bml_sample__hot_row(float *row, double theta) {
    double top = bml_sample__momentum_top(theta);
    double p[32];
    double weight[32];
    double whole = 0;
    for (int i = 0; i < 32; i++) {
        int g = i % 16;
        double node = g < 8 ? -bml_sample__gl_x[7 - g] : bml_sample__gl_x[g - 8];
        double step = i < 16 ? 0.3 : 0.7;
        double y = (i < 16 ? 0 : 0.3) + step * (0.5 + 0.5 * node);
        p[i] = top * y * y;
        double density = bml_sample__juettner(p[i], theta);
        weight[i] = step * bml_sample__gl_weight(g) * y * density;
        whole += weight[i];
    }
    for (int k = 0; k < BML_SAMPLE__HOT_X; k++) {
        double ln_x = (double)bml_sample__ln_x + (double)bml_sample__ln_xs * k / (BML_SAMPLE__HOT_X - 1);
        double x = exp(ln_x);
        double sum = 0;
        for (int i = 0; i < 32; i++) {
            sum += weight[i] * bml_sample__rate_at(p[i], x);
        }
        row[k] = (float)-log(sum / whole);
    }
}

/* ln theta of row i of n. */
static double bml_sample__theta_of(int i, int n) {
    double ln_theta = (double)bml_sample__ln_theta + (double)bml_sample__ln_thetas * i / (n - 1);
    return exp(ln_theta);
}

BML_SAMPLE_DEF int bml_sample_thermal_table(bml_sample_thermal_nodes *nodes) {
    if (!nodes) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    bml_sample__curve_of curve;
    memset(&curve, 0, sizeof curve);
    for (int i = 0; i < BML_SAMPLE__RECOIL_X; i++) {
        double s = (double)bml_sample__recoil_top * i / (BML_SAMPLE__RECOIL_X - 1);
        float *row = nodes->recoil + i * BML_SAMPLE__RECOIL_U;
        bml_sample__recoil_row(row, 3 * s / (1 - s), &curve);
    }
    for (int i = 0; i < BML_SAMPLE__THERMAL_ROWS; i++) {
        double theta = bml_sample__theta_of(i, BML_SAMPLE__THERMAL_ROWS);
        bml_sample__momentum_row(nodes->momentum + i * BML_SAMPLE__THERMAL_U, theta, &curve);
    }
    for (int i = 0; i < BML_SAMPLE__HOT_ROWS; i++) {
        bml_sample__hot_row(nodes->cross_section + i * BML_SAMPLE__HOT_X,
                            bml_sample__theta_of(i, BML_SAMPLE__HOT_ROWS));
    }
    nodes->ready = 1;
    return BML_SAMPLE_OK;
}

/* >> strong fields: tables
   K_nu(y) = int_0^inf e^(-y cosh t) cosh(nu t) dt, and the same over cosh t for int_y^inf K_nu; the trapezoidal rule is
   exact to rounding, as the integrand is analytic, with steps of 0.3, and 0.05 where it is a narrow bell. */

enum { BML_SAMPLE__BESSEL = 1200 };
typedef struct bml_sample__bessel_terms {
    double more[BML_SAMPLE__BESSEL]; /* cosh t - 1 */
    double K23[BML_SAMPLE__BESSEL];
    double I53[BML_SAMPLE__BESSEL];
    double I13[BML_SAMPLE__BESSEL];
} bml_sample__bessel_terms;

static void bml_sample__bessel_make(bml_sample__bessel_terms *b) {
    for (int k = 0; k < BML_SAMPLE__BESSEL; k++) {
        double t = 0.05 * k;
        double half = sinh(0.5 * t);
        double weight = k ? 0.05 : 0.025;
        double c = 1 + 2 * half * half;
        b->more[k] = 2 * half * half;
        b->K23[k] = weight * cosh(2 * t / 3);
        b->I53[k] = weight * cosh(5 * t / 3) / c;
        b->I13[k] = weight * cosh(t / 3) / c;
    }
}

/* sums[2] = e^y K_2/3(y) and e^y int_y^inf of what `integral` stands for. */
static void bml_sample__bessel(double *sums, double y, const bml_sample__bessel_terms *b, const double *integral) {
    sums[0] = 0;
    sums[1] = 0;
    int stride = y < 4 ? 6 : 1;
    if (y >= 4 && y < 40) {
        stride = 2;
    }
    for (int k = 0; k < BML_SAMPLE__BESSEL && y * b->more[k] < 60; k += stride) {
        double e = stride * exp(-y * b->more[k]);
        sums[0] += b->K23[k] * e;
        sums[1] += integral[k] * e;
    }
}

/* Where emission is tabulated in ln y. */
static double bml_sample__emission_y(double i) {
    return exp(-34 + 38.3 * bml_sample__per_panel * i);
}

/* The density of ln y at y, given the Bessel functions there: the bracket times dxi/dln y. */
static double bml_sample__emission_density(double y, double chi, const double *sums) {
    double z = 1.5 * chi * y; /* xi/(1 - xi) */
    double xi = z / (1 + z);
    double bracket = (sums[1] + xi * z * sums[0]) * exp(-y);
    return bracket * xi / (1 + z);
}

/* The row of chi, and ln of the rate over chi. bessel[2 PANELS + 1][2]: at ends and middles of the panels. */
static float bml_sample__emission_row(float *row, double chi, const double *bessel, bml_sample__curve_of *c) {
    const double h = 38.3 * bml_sample__per_panel;
    double total = 0;
    for (int i = 0; i <= BML_SAMPLE__PANELS; i++) {
        double y = bml_sample__emission_y(i);
        double p = bml_sample__emission_density(y, chi, bessel + 4 * i);
        double t = cbrt(y);
        c->x[i] = t;
        c->density[i] = 3 * p / t; /* over t */
    }
    double below = c->density[0] * c->x[0]; /* ~ t there */
    for (int i = 0; i < BML_SAMPLE__PANELS; i++) {
        double y = bml_sample__emission_y(i + 0.5);
        double middle = bml_sample__emission_density(y, chi, bessel + 4 * i + 2);
        double first = c->density[i] * c->x[i];
        double ends = first + c->density[i + 1] * c->x[i + 1];
        c->mass[i] = h / 6 * (ends / 3 + 4 * middle);
        total += c->mass[i];
    }
    bml_sample__tail_coordinate(c, below);
    bml_sample__read_off(row, BML_SAMPLE__QED_U, (double)bml_sample__thermal_top, c);
    row[0] = 0;
    return (float)log((total + below) / chi);
}

/* The bracket times dxi/dg and e^(8/(3 chi)), xi = (1 - tanh g)/2; both halves of the energy. */
static double bml_sample__pair_density(double g, double chi, const bml_sample__bessel_terms *b) {
    double sums[2];
    double s = sinh(g);
    double first = 8 / (3 * chi);
    double y = first * (1 + s * s);
    bml_sample__bessel(sums, y, b, b->I13);
    double bracket = 2 * (1 + 2 * s * s) * sums[0] + sums[1];
    return bracket * exp(-first * s * s) / (1 + s * s);
}

static float bml_sample__pair_row(float *row, double chi, const bml_sample__bessel_terms *b, bml_sample__curve_of *c) {
    double scale = sqrt(chi / (1 + chi));
    double h = asinh(sqrt(22.5 * chi)) * bml_sample__per_panel;
    double total = 0;
    double last = bml_sample__pair_density(0, chi, b);
    c->x[0] = 0;
    c->density[0] = last * scale;
    for (int i = 0; i < BML_SAMPLE__PANELS; i++) {
        double next = bml_sample__pair_density((i + 1) * h, chi, b);
        double middle = bml_sample__pair_density((i + 0.5) * h, chi, b);
        c->mass[i] = h / 6 * (last + 4 * middle + next);
        c->x[i + 1] = (i + 1) * h / scale;
        c->density[i + 1] = next * scale;
        total += c->mass[i];
        last = next;
    }
    bml_sample__tail_coordinate(c, 0);
    bml_sample__read_off(row, BML_SAMPLE__QED_U, (double)bml_sample__thermal_top, c);
    return (float)log(total / chi);
}

BML_SAMPLE_DEF int bml_sample_qed_table(bml_sample_qed_nodes *nodes) {
    if (!nodes) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    bml_sample__bessel_terms b;
    bml_sample__curve_of curve;
    memset(&curve, 0, sizeof curve);
    bml_sample__bessel_make(&b);
    double *bessel = bml_sample__doubles(4 * BML_SAMPLE__PANELS + 2);
    if (!bessel) {
        return BML_SAMPLE_NO_MEMORY;
    }
    for (int i = 0; i <= 2 * BML_SAMPLE__PANELS; i++) {
        bml_sample__bessel(bessel + 2 * i, bml_sample__emission_y(0.5 * i), &b, b.I53);
    }
    for (int i = 0; i < BML_SAMPLE__QED_CHI; i++) {
        double ln_chi = (double)bml_sample__ln_chis * i / (BML_SAMPLE__QED_CHI - 1);
        float *row = nodes->emission + i * BML_SAMPLE__QED_U;
        double chi = exp((double)bml_sample__ln_chi + ln_chi);
        nodes->emission_rate[i] = bml_sample__emission_row(row, chi, bessel, &curve);
        row = nodes->pair + i * BML_SAMPLE__QED_U;
        chi = exp((double)bml_sample__ln_chi_pair + ln_chi);
        nodes->pair_rate[i] = bml_sample__pair_row(row, chi, &b, &curve);
    }
    BML_SAMPLE_FREE(bessel);
    nodes->ready = 1;
    return BML_SAMPLE_OK;
}

/* >> electrons and photons
   Sources, each by its own exact method. */

enum { BML_SAMPLE__PROPOSED = 128 };

/* 31 bits of a word, in a form that vector registers convert. */
static inline double bml_sample__half_word(uint32_t word) {
    return ((double)(int32_t)(word >> 1) + 0.5) * (1.0 / 2147483648.0);
}

/* As bml_sample__choose. */
static inline double bml_sample__choose64(int which, double yes, double no) {
    uint64_t mask = (uint64_t)0 - (uint64_t)which;
    uint64_t bits = (bml_sample__bits64(yes) & mask) | (bml_sample__bits64(no) & ~mask);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Half the square of a normal is -ln u cos^2 of a uniform angle: that cos^2 of a word. Within an eighth of a turn the
   cosine's series does; the word's last bit says whether it is the cosine or the sine. */
static inline double bml_sample__squared_cosine(uint32_t word) {
    double x = (bml_sample__half_word(word) - 0.5) * (0.5 * BML_SAMPLE__PI);
    double y = x * x;
    double high = 1.0 / 479001600 - y / 87178291200.0;
    high = 1.0 / 40320 + y * (-1.0 / 3628800 + y * high);
    double low = 1.0 / 24 + y * (-1.0 / 720 + y * high);
    double c = 1 + y * (-0.5 + y * low);
    double sign = (double)((int32_t)(word & 1) * 2 - 1);
    return 0.5 + sign * (c * c - 0.5);
}

/* Proposals for (gamma-1)/theta, PROPOSED at once, and whether each is taken. With gamma = 1 + theta x the density is
   (1 + theta x) sqrt(x (x + 2/theta)) e^-x, below (1 + theta x)(x + sqrt(2x/theta)) e^-x: four gamma distributions of
   shape 2, 3, 3/2, 5/2. All are -ln u1 and, by shape, -ln u2, -ln u3 and half the square of a normal of u3, u4. What is
   left of the number that chooses the shape is uniform again, and says whether the proposal is taken: where
   u (sqrt(x) + sqrt(2/theta)) <= sqrt(x + 2/theta), both sides squared. */
static void bml_sample__propose(double *BML_SAMPLE__RESTRICT x, int32_t *BML_SAMPLE__RESTRICT taken, double theta,
                                bml_sample_rng *rng) {
    uint32_t w[5 * BML_SAMPLE__PROPOSED];
    enum { M = BML_SAMPLE__PROPOSED };
    bml_sample__words(w, 5 * M / 4, rng);
    double square = 2 / theta;
    double root = sqrt(square);
    double half_pi = sqrt(BML_SAMPLE__PI) / 2; /* Gamma(3/2) */
    double shape3 = 2 * theta;
    double shape32 = root * half_pi;
    double shape52 = 1.5 * theta * shape32;
    double to32 = 1 + shape3; /* shares in the order 2, 3, 3/2, 5/2, each from where the last ends */
    double to52 = to32 + shape32;
    double all = to52 + shape52;
    const double words = 2147483648.0;
    int32_t word3 = (int32_t)(words / all); /* the words at which they begin */
    int32_t word32 = (int32_t)(words * to32 / all);
    int32_t word52 = (int32_t)(words * to52 / all);
    double per2 = word3 > 0 ? 1.0 / word3 : 1;
    double per3 = word32 > word3 ? 1.0 / (word32 - word3) : 1;
    double per32 = word52 > word32 ? 1.0 / (word52 - word32) : 1;
    double per52 = 1 / (words - word52);
    double u[M];
    double roots[M];
    for (int i = 0; i < M; i++) {
        int32_t choice = (int32_t)(w[i] >> 1);
        int32_t from = choice >= word3 ? word3 : 0;
        double per_share = choice >= word3 ? per3 : per2;
        from = choice >= word32 ? word32 : from;
        per_share = choice >= word32 ? per32 : per_share;
        from = choice >= word52 ? word52 : from;
        per_share = choice >= word52 ? per52 : per_share;
        u[i] = ((double)(choice - from) + 0.5) * per_share;
        double u1 = bml_sample__half_word(w[M + i]);
        double u2 = bml_sample__half_word(w[2 * M + i]);
        double third = bml_sample__ln(bml_sample__half_word(w[3 * M + i]));
        double squared = bml_sample__squared_cosine(w[4 * M + i]);
        int halves = choice >= word32; /* 3/2 or 5/2 */
        double second = bml_sample__choose64(halves & (choice < word52), 1, u2);
        double part = bml_sample__choose64(halves, squared, 1);
        part = bml_sample__choose64(choice < word3, 0, part);
        x[i] = -bml_sample__ln(u1 * second) - third * part;
    }
    bml_sample__roots(roots, x, M);
    for (int i = 0; i < M; i++) {
        double inside = x[i] + square;
        double bound = inside + 2 * root * roots[i];
        double left = inside - u[i] * u[i] * bound;
        taken[i] = bml_sample__bits64(left) >> 63 == 0;
    }
}

BML_SAMPLE_DEF int bml_sample_thermal_electrons(double *gamma, size_t n, double theta, bml_sample_rng *rng) {
    double x[BML_SAMPLE__PROPOSED];
    int32_t taken[BML_SAMPLE__PROPOSED];
    if (!gamma || !rng || !bml_sample__within(theta, 1e-9, 1e9)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    size_t done = 0;
    while (done < n) {
        bml_sample__propose(x, taken, theta, rng);
        for (int i = 0; i < BML_SAMPLE__PROPOSED && done < n; i++) {
            gamma[done] = 1 + theta * x[i];
            done += taken[i] != 0;
        }
    }
    bml_sample__leave_vectors();
    return BML_SAMPLE_OK;
}

/* 1/(e^x - 1) = sum e^-kx: gamma distributions of shape s over k, with weights k^-s (s = 3 photons, 4 energy). */
BML_SAMPLE_DEF int bml_sample_black_body(double *x, size_t n, int weight, bml_sample_rng *rng) {
    int s = weight == BML_SAMPLE_ENERGY ? 4 : 3;
    if (!x || !rng || (weight != BML_SAMPLE_PHOTONS && weight != BML_SAMPLE_ENERGY)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
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
   K_nu(y) = int_0^inf e^(-y cosh t) cosh(nu t) dt by the trapezoidal rule. */
static double bml_sample__synchrotron_above(double *density, double x, int weight) {
    double sum = 0;
    double p = 0;
    for (int k = 0; k < 400; k++) {
        double t = 0.15 * k;
        double c = cosh(t);
        if (x * c > 740) {
            break;
        }
        double step = k ? 0.15 : 0.075;
        double g = step * cosh(5 * t / 3) / c * exp(-x * c);
        p += g;
        sum += weight == BML_SAMPLE_ENERGY ? g * (x + 1 / c) / c : g / c;
        if (k > 20 && g / c < 1e-19 * sum) {
            break;
        }
    }
    *density = weight == BML_SAMPLE_ENERGY ? x * p : p;
    return sum;
}

/* Nodes even in ln x, from e^-18 to 40, above which less than 1e-17 is left. */
BML_SAMPLE_DEF int bml_sample_synchrotron_init(bml_sample_synchrotron *table, int weight) {
    double whole = weight == BML_SAMPLE_ENERGY ? 8 * BML_SAMPLE__PI / (9 * sqrt(3.0)) : 5 * BML_SAMPLE__PI / 3;
    if (!table || (weight != BML_SAMPLE_PHOTONS && weight != BML_SAMPLE_ENERGY)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    for (int i = 0; i < 512; i++) {
        double x = exp(-18 + (log(40.0) + 18) * i / 511);
        double density;
        double above = bml_sample__synchrotron_above(&density, x, weight) / whole;
        double below = 1 - above;
        density /= whole;
        if (i == 0) {
            below = density * x * (weight == BML_SAMPLE_ENERGY ? 0.75 : 3); /* density ~ x^1/3 or x^-2/3 there */
        }
        table->ln_x[i] = log(x);
        table->ln_below[i] = log(below);
        table->ln_above[i] = log(above);
        table->slope_below[i] = below / (density * x); /* d ln x/d ln below */
        table->slope_above[i] = -above / (density * x);
    }
    table->ready = 1;
    return BML_SAMPLE_OK;
}

static double bml_sample__synchrotron_at(const bml_sample_synchrotron *s, double u) {
    int lower = u < 0.5;
    const double *y = lower ? s->ln_below : s->ln_above;
    const double *slope = lower ? s->slope_below : s->slope_above;
    double sign = lower ? 1 : -1;
    if (!(u > 0)) {
        return 0;
    }
    if (!(u < 1)) {
        return exp(s->ln_x[511]);
    }
    double at = lower ? log(u) : log1p(-u);
    if (lower && at <= y[0]) {
        return exp(s->ln_x[0] + slope[0] * (at - y[0]));
    }
    if (!lower && at <= y[511]) {
        return exp(s->ln_x[511]);
    }
    int low = 0;
    int high = 511;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (sign * y[middle] <= sign * at) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return exp(bml_sample__hermite(at, y + low, s->ln_x + low, slope + low));
}

BML_SAMPLE_DEF int bml_sample_synchrotron_draw(double *x, const double *u, size_t n,
                                               const bml_sample_synchrotron *table, bml_sample_rng *rng) {
    double room[BML_SAMPLE__CHUNK];
    if (!x || !table || table->ready != 1 || (!u && !rng)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    if (u && !bml_sample__all_in_unit(u, (ptrdiff_t)n)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    int m;
    for (ptrdiff_t done = 0; done < (ptrdiff_t)n; done += m) {
        m = bml_sample__chunk_of((ptrdiff_t)n - done);
        const double *uu = bml_sample__uniforms_of(room, u, done, m, rng);
        bml_sample__leave_vectors();
        for (int i = 0; i < m; i++) {
            x[done + i] = bml_sample__synchrotron_at(table, uu[i]);
        }
    }
    return BML_SAMPLE_OK;
}

/* x at u of x^-index on [lower, lower e^span], from the end where the density is higher, so that nothing overflows. */
static double bml_sample__power_at(double u, double lower, double span, double index) {
    double a = (1 - index) * span;
    if (fabs(a) < 1e-12) {
        return lower * exp(u * span);
    }
    volatile double left = 1 - u; /* so that no compiler draws left + u e^a together as 1 - u (1 - e^a) */
    double w;
    double ln_w;
    if (a < 0) { /* 1 - u (1 - e^a), in the form that does not cancel */
        w = u * expm1(a);
        ln_w = w > -0.5 ? log1p(w) : log(left + u * exp(a));
        double share = ln_w / a;
        return lower * exp(span * share);
    }
    w = (1 - u) * expm1(-a);
    ln_w = w > -0.5 ? log1p(w) : log(u + left * exp(-a));
    return lower * exp(span * (1 + ln_w / a));
}

/* Logarithm of the integral of (x/lower)^-index over [lower, lower e^span], over lower. */
static double bml_sample__power_mass(double span, double index) {
    double a = (1 - index) * span;
    if (fabs(a) < 1e-12) {
        return log(span);
    }
    if (a < 0) {
        return log(-expm1(a) / -a * span);
    }
    return a + log(-expm1(-a) / a * span);
}

static int bml_sample__power_arguments(const bml_sample_power *p) {
    if (!bml_sample__within(p->lower, DBL_MIN, DBL_MAX)) {
        return 0;
    }
    if (!bml_sample__within(p->upper, p->lower, DBL_MAX) || !(p->upper > p->lower)) {
        return 0;
    }
    if (!bml_sample__finite(p->index) || !(fabs(p->index) <= 1000)) {
        return 0;
    }
    if (p->break_at == 0 && bml_sample__finite(p->break_at)) {
        return 1;
    }
    if (!bml_sample__finite(p->break_at) || !bml_sample__finite(p->index_above)) {
        return 0;
    }
    int inside = p->break_at > p->lower && p->break_at < p->upper;
    return inside && fabs(p->index_above) <= 1000;
}

/* A power law, ready to be drawn: the lower piece holds `share`. */
typedef struct bml_sample__power_pieces {
    double span;
    double above;
    double share;
} bml_sample__power_pieces;

static double bml_sample__broken_power_at(double u, const bml_sample_power *p, const bml_sample__power_pieces *s) {
    double value;
    if (s->share >= 1 || (u < s->share && s->share > 0)) {
        value = bml_sample__power_at(u / s->share, p->lower, s->span, p->index);
    } else {
        double left = (u - s->share) / (1 - s->share);
        left = left < 1 ? left : 1;
        value = bml_sample__power_at(left, p->break_at, s->above, p->index_above);
    }
    value = value > p->lower ? value : p->lower;
    return value < p->upper ? value : p->upper;
}

BML_SAMPLE_DEF int bml_sample_power_law(double *x, const double *u, size_t n, const bml_sample_power *p,
                                        bml_sample_rng *rng) {
    double room[BML_SAMPLE__CHUNK];
    if (!x || !p || (!u && !rng) || !bml_sample__power_arguments(p)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    if (u && !bml_sample__all_in_unit(u, (ptrdiff_t)n)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    double end = p->break_at > 0 ? p->break_at : p->upper;
    bml_sample__power_pieces s = {log(end / p->lower), 0, 1};
    if (p->break_at > 0) {
        /* masses over lower and the density there: the upper piece starts at (break/lower)^(1-index) */
        s.above = log(p->upper / p->break_at);
        double upper = bml_sample__power_mass(s.above, p->index_above) + (1 - p->index) * s.span;
        s.share = 1 / (1 + exp(upper - bml_sample__power_mass(s.span, p->index)));
    }
    int m;
    for (ptrdiff_t done = 0; done < (ptrdiff_t)n; done += m) {
        m = bml_sample__chunk_of((ptrdiff_t)n - done);
        const double *uu = bml_sample__uniforms_of(room, u, done, m, rng);
        bml_sample__leave_vectors();
        for (int i = 0; i < m; i++) {
            x[done + i] = bml_sample__broken_power_at(uu[i], p, &s);
        }
    }
    return BML_SAMPLE_OK;
}

/* >> tables of one density
   First the density becomes a row of panels, on each a Legendre series of degree 15 through the Gauss points, halved
   until both halves agree with the whole: integrals then cost no more calls. Then pieces of the inverse CDF are laid
   from left to right, each as long as a quintic in u misses the CDF by less than the tolerance at points between its
   nodes. */

typedef struct bml_sample__panel {
    double a;
    double b;
    double series[16];   /* of the density */
    double integral[17]; /* of its integral from a, over (b - a)/2 */
    double start;        /* integral of all before */
    double mass;         /* its own */
} bml_sample__panel;

typedef struct bml_sample__piece {
    double c;        /* CDF at its beginning */
    double per_mass; /* 1/(its mass) */
    double x;
    double k[5]; /* x + v (k[0] + v (k[1] + ...)), v = (u - c) per_mass */
} bml_sample__piece;

struct bml_sample_table {
    bml_sample__piece *piece; /* [n + 1], the last only with c = 1 and the end in x */
    int *guide;               /* [n] the piece in which u = k/n lies */
    int n;
    double error;
    double integral;
    char message[BML_SAMPLE_MESSAGE];
};

enum { BML_SAMPLE__EDGES = 4096 };
enum { BML_SAMPLE__GRADES = 24 };
enum { BML_SAMPLE__FOUND = 16 };
enum { BML_SAMPLE__STACK = 256 };

typedef struct bml_sample__build {
    bml_sample_table_config config;
    char *why;
    double lower; /* where tails are cut */
    double upper;
    double centre;
    double edge[BML_SAMPLE__EDGES]; /* of the first panels */
    double hard[BML_SAMPLE__FOUND + 64];
    int n_edges;
    int n_hard;
    int n_found;
    bml_sample__panel *panel;
    int n_panels;
    int panel_room;
    bml_sample__piece *piece;
    int n_pieces;
    int piece_room;
    double total;
    double doubt;
    double worst;
    double worst_at;
    double misfit;
    int at; /* the panel asked last */
} bml_sample__build;

/* p[n] at x[n], refused unless finite and not negative. */
static int bml_sample__look(bml_sample__build *b, double *p, const double *x, int n) {
    b->config.density(p, x, b->config.z, n, b->config.user);
    for (int i = 0; i < n; i++) {
        if (!bml_sample__not_negative(p[i])) {
            return bml_sample__fail(b->why, BML_SAMPLE_BAD_DENSITY, "the density at x = %.9g is %g", x[i], p[i]);
        }
    }
    return BML_SAMPLE_OK;
}

/* P_0 ... P_16 at x. */
static void bml_sample__legendre(double *P, double x) {
    P[0] = 1;
    P[1] = x;
    for (int k = 1; k < 16; k++) { /* (k+1) P_k+1 = (2k+1) x P_k - k P_k-1 */
        double here = x * P[k];
        P[k + 1] = here + k * bml_sample__over[k + 1] * (here - P[k - 1]);
    }
}

/* Series and integral of a panel from its values at the Gauss points. */
static void bml_sample__panel_series(bml_sample__panel *s, const double *p) {
    double *c = s->series;
    memset(c, 0, sizeof s->series);
    double at[16];
    bml_sample__gl_points(at, -1, 1);
    for (int i = 0; i < 16; i++) {
        double P[17];
        bml_sample__legendre(P, at[i]);
        double weight = bml_sample__gl_weight(i);
        for (int k = 0; k < 16; k++) {
            c[k] += (k + 0.5) * weight * P[k] * p[i];
        }
    }
    s->integral[0] = c[0] - c[1] / 3; /* int P_k = (P_k+1 - P_k-1)/(2k+1) */
    for (int k = 1; k <= 16; k++) {
        double above = k < 15 ? c[k + 1] / (2 * k + 3) : 0;
        s->integral[k] = c[k - 1] / (2 * k - 1) - above;
    }
    s->mass = (s->b - s->a) * c[0];
}

/* Integral of the panel from a to x. */
static double bml_sample__panel_cdf(const bml_sample__panel *s, double x) {
    double P[17];
    double h = 0.5 * (s->b - s->a);
    double sum = 0;
    bml_sample__legendre(P, (x - s->a) / h - 1);
    for (int k = 0; k <= 16; k++) {
        sum += s->integral[k] * P[k];
    }
    sum *= h;
    sum = sum > 0 ? sum : 0;
    return sum < s->mass ? sum : s->mass;
}

static double bml_sample__panel_density(const bml_sample__panel *s, double x) {
    double P[17];
    double sum = 0;
    bml_sample__legendre(P, 2 * (x - s->a) / (s->b - s->a) - 1);
    for (int k = 0; k < 16; k++) {
        sum += s->series[k] * P[k];
    }
    return sum;
}

static int bml_sample__panel_make(bml_sample__build *b, bml_sample__panel *s, double from, double to) {
    double x[16];
    double p[16];
    s->a = from;
    s->b = to;
    s->start = 0;
    bml_sample__gl_points(x, from, to);
    int status = bml_sample__look(b, p, x, 16);
    if (!status) {
        bml_sample__panel_series(s, p);
    }
    return status;
}

/* Room for two more of a growing array. */
static void *bml_sample__more(void *array, int n, int *room, size_t each) {
    if (n + 2 <= *room) {
        return array;
    }
    int wanted = 2 * *room + 64;
    void *more = BML_SAMPLE_REALLOC(array, bml_sample__bytes(wanted, each));
    if (more) {
        *room = wanted;
    }
    return more;
}

static int bml_sample__keep_panel(bml_sample__build *b, const bml_sample__panel *s) {
    void *more = bml_sample__more(b->panel, b->n_panels, &b->panel_room, sizeof *s);
    if (!more) {
        return BML_SAMPLE_NO_MEMORY;
    }
    b->panel = (bml_sample__panel *)more;
    b->panel[b->n_panels++] = *s;
    return BML_SAMPLE_OK;
}

/* How far a panel's integral is from those of its halves, at their ends and middles. */
static double bml_sample__disagree(const bml_sample__panel *whole, const bml_sample__panel *left,
                                   const bml_sample__panel *right) {
    double first = 0.5 * (left->a + left->b);
    double second = 0.5 * (right->a + right->b);
    double middle = bml_sample__panel_cdf(whole, left->b) - left->mass;
    double end = whole->mass - left->mass - right->mass;
    double low = bml_sample__panel_cdf(whole, first);
    low = fabs(low - bml_sample__panel_cdf(left, first));
    double high = bml_sample__panel_cdf(whole, second) - left->mass;
    high = fabs(high - bml_sample__panel_cdf(right, second));
    double worst = fabs(middle);
    end = fabs(end);
    worst = end > worst ? end : worst;
    worst = low > worst ? low : worst;
    return high > worst ? high : worst;
}

/* Halves the panel on top of the stack, or keeps its halves. */
static int bml_sample__halve(bml_sample__build *b, bml_sample__panel *stack, int *n) {
    bml_sample__panel whole = stack[--*n];
    bml_sample__panel left;
    bml_sample__panel right;
    double middle = 0.5 * (whole.a + whole.b);
    double low_size = fabs(whole.a);
    double high_size = fabs(whole.b);
    double size = low_size > high_size ? low_size : high_size;
    int status = bml_sample__panel_make(b, &left, whole.a, middle);
    if (!status) {
        status = bml_sample__panel_make(b, &right, middle, whole.b);
    }
    if (status) return status;
    double apart = bml_sample__disagree(&whole, &left, &right);
    int finite = bml_sample__finite(left.mass) && bml_sample__finite(right.mass);
    double allowed = b->config.tolerance * b->total / 256 + 1e-15 * whole.mass;
    int good = finite && apart <= allowed;
    double width = whole.b - whole.a;
    double range = b->upper - b->lower;
    int narrow = !(width > 1e-14 * size) || !(width > 1e-30 * range);
    int room = *n + 2 <= BML_SAMPLE__STACK;
    if (!good && !narrow && room) {
        stack[(*n)++] = right;
        stack[(*n)++] = left;
        return BML_SAMPLE_OK;
    }
    b->doubt += 2.5 * apart; /* at a root singularity the halves are still wrong by sqrt(1/2)/(1 - sqrt(1/2)) of it */
    if (!good && !(apart <= b->worst)) {
        b->worst = apart;
        b->worst_at = middle;
    }
    status = bml_sample__keep_panel(b, &left);
    return status ? status : bml_sample__keep_panel(b, &right);
}

/* Panels for all edges; b->total is a first estimate, and becomes the integral. */
static int bml_sample__panels(bml_sample__build *b) {
    bml_sample__panel stack[BML_SAMPLE__STACK];
    int status = BML_SAMPLE_OK;
    b->n_panels = 0;
    b->doubt = 0;
    b->worst = 0;
    for (int i = 0; !status && i + 1 < b->n_edges; i++) {
        int n = 1;
        const double *edge = b->edge + i;
        status = bml_sample__panel_make(b, &stack[0], edge[0], edge[1]);
        while (!status && n) {
            status = bml_sample__halve(b, stack, &n);
        }
    }
    double sum = 0;
    for (int i = 0; !status && i < b->n_panels; i++) {
        b->panel[i].start = sum;
        sum += b->panel[i].mass;
    }
    b->total = sum;
    b->at = 0;
    return status;
}

/* Adds an edge, in order; twice the same is one. */
static void bml_sample__add_edge(bml_sample__build *b, double x) {
    int i = b->n_edges;
    if (!(x >= b->lower && x <= b->upper) || i >= BML_SAMPLE__EDGES) {
        return;
    }
    while (i > 0 && b->edge[i - 1] > x) {
        i--;
    }
    if (i > 0 && b->edge[i - 1] == x) {
        return;
    }
    size_t behind = bml_sample__bytes(b->n_edges - i, sizeof(double));
    memmove(b->edge + i + 1, b->edge + i, behind);
    b->edge[i] = x;
    b->n_edges++;
}

/* Edges at x and, by factors of 4, ever closer to it from both sides. */
static void bml_sample__add_point(bml_sample__build *b, double x) {
    bml_sample__add_edge(b, x);
    double down = x - b->lower;
    double up = b->upper - x;
    for (int k = 0; k < BML_SAMPLE__GRADES; k++) {
        down *= 0.25;
        up *= 0.25;
        double closest = 1e-12 * fabs(x); /* points of a narrower panel would meet x itself */
        if (down < closest || up < closest) {
            break;
        }
        if (x - down < x) {
            bml_sample__add_edge(b, x - down);
        }
        if (x + up > x) {
            bml_sample__add_edge(b, x + up);
        }
    }
}

/* The share of the tolerance that may be left beyond a cut. */
static const double bml_sample__tail_share = 0.03;

/* *mass between two distances from the centre: two panels, the first an eighth, as tails fall steeply. */
static int bml_sample__tail_mass(bml_sample__build *b, double *mass, double near_, double far_, double sign) {
    double ends[3] = {near_, near_ + 0.125 * (far_ - near_), far_};
    int status = BML_SAMPLE_OK;
    *mass = 0;
    for (int i = 0; !status && i < 2; i++) {
        bml_sample__panel s;
        double from = b->centre + sign * ends[i];
        double to = b->centre + sign * ends[i + 1];
        status = bml_sample__panel_make(b, &s, from < to ? from : to, from < to ? to : from);
        *mass += s.mass;
    }
    return status;
}

/* Draws a cut between `last` and `step` nearer, by halving, until `allowed` would be passed; `beyond` lies outside. */
static int bml_sample__draw_nearer(bml_sample__build *b, double *cut, const double *span, double beyond, double allowed,
                                   double sign) {
    double low = span[0];
    double high = span[1];
    int status = BML_SAMPLE_OK;
    for (int i = 0; !status && i < 12; i++) {
        double middle = low > 0 ? sqrt(low * high) : 0.5 * high;
        double mass;
        status = bml_sample__tail_mass(b, &mass, middle, span[1], sign);
        if (mass + beyond <= allowed) {
            high = middle;
        } else {
            low = middle;
        }
    }
    *cut = b->centre + sign * high;
    bml_sample__add_edge(b, *cut);
    return status;
}

/* Where less than that of the integral so far, *sum, is left beyond: a power law of the local slope. */
static int bml_sample__cut(bml_sample__build *b, double *cut, double *sum, double sign) {
    double size = fabs(b->centre) > 1 ? fabs(b->centre) : 1;
    double last = 0;
    double step = 1e-9 * size;
    for (int k = 0; k < 500; k++) {
        bml_sample__panel s;
        double from = b->centre + sign * last;
        double to = b->centre + sign * step;
        if (!bml_sample__finite(b->centre + 8 * sign * step)) {
            break;
        }
        double low = from < to ? from : to;
        int status = bml_sample__panel_make(b, &s, low, low + fabs(to - from));
        if (status) return status;
        *sum += s.mass;
        double x[2] = {b->centre + sign * step, b->centre + 2 * sign * step};
        double p[2];
        status = bml_sample__look(b, p, x, 2);
        if (status) return status;
        int positive = p[0] > 0 && p[1] > 0;
        double slope = positive ? log(p[0] / p[1]) / log(2.0) : 1000;
        double beyond = slope > 1.01 ? p[0] * step / (slope - 1) : 1e300;
        double allowed = bml_sample__tail_share * b->config.tolerance * *sum;
        if (*sum > 0 && beyond <= allowed) {
            double span[2] = {last, step};
            return bml_sample__draw_nearer(b, cut, span, beyond, allowed, sign);
        }
        bml_sample__add_edge(b, x[0]);
        last = step;
        step *= 4;
    }
    if (*sum > 0) {
        return bml_sample__fail(b->why, BML_SAMPLE_NOT_INTEGRABLE, "the tail of the density is too heavy");
    }
    return bml_sample__say(b->why, BML_SAMPLE_ZERO_DENSITY);
}

/* The range: as given, or cut where tails end. */
static int bml_sample__range_of(bml_sample__build *b) {
    const bml_sample_table_config *c = &b->config;
    int below = !bml_sample__finite(c->lower);
    int above = !bml_sample__finite(c->upper);
    double sum = 0;
    b->n_edges = 0;
    b->lower = below ? -DBL_MAX : c->lower;
    b->upper = above ? DBL_MAX : c->upper;
    b->centre = c->centre;
    if (!(b->centre > b->lower && b->centre < b->upper)) {
        if (below || above) {
            b->centre = below ? c->upper : c->lower;
        } else {
            b->centre = 0.5 * (c->lower + c->upper);
        }
    }
    double cut_low = b->lower;
    double cut_high = b->upper;
    int status = BML_SAMPLE_OK;
    if (above) {
        status = bml_sample__cut(b, &cut_high, &sum, 1);
    }
    if (!status && below) {
        status = bml_sample__cut(b, &cut_low, &sum, -1);
    }
    if (!status && above && below) { /* the upper tail again, knowing all */
        sum = sum > 0 ? sum : 0;
        status = bml_sample__cut(b, &cut_high, &sum, 1);
    }
    b->lower = cut_low;
    b->upper = cut_high;
    int kept = 0; /* edges of a tail that was cut anew */
    for (int i = 0; i < b->n_edges; i++) {
        double edge = b->edge[i];
        if (edge >= cut_low && edge <= cut_high) {
            b->edge[kept++] = edge;
        }
    }
    b->n_edges = kept;
    return status;
}

/* First panels: 32 even ones, or those of the tails, and closer ones at the centre and breaks. */
static int bml_sample__first_edges(bml_sample__build *b) {
    const bml_sample_table_config *c = &b->config;
    int status = bml_sample__range_of(b);
    if (status) return status;
    int tails = b->n_edges > 0;
    bml_sample__add_edge(b, b->lower);
    bml_sample__add_edge(b, b->upper);
    for (int i = 1; !tails && i < 32; i++) {
        double at = (b->upper - b->lower) * i / 32;
        bml_sample__add_edge(b, b->lower + at);
    }
    if (tails) {
        bml_sample__add_edge(b, b->centre);
    }
    int inside = c->centre > b->lower && c->centre < b->upper;
    if (!tails && inside && c->centre != 0) {
        bml_sample__add_point(b, c->centre);
    }
    b->n_hard = 0;
    for (int i = 0; i < c->n_breaks; i++) {
        bml_sample__add_point(b, c->breaks[i]);
        b->hard[b->n_hard++] = c->breaks[i];
    }
    b->total = 0;
    for (int i = 0; i + 1 < b->n_edges; i++) {
        bml_sample__panel s;
        const double *edge = b->edge + i;
        status = bml_sample__panel_make(b, &s, edge[0], edge[1]);
        if (status) return status;
        b->total += s.mass;
    }
    return BML_SAMPLE_OK;
}

/* The panel that holds x; asked in rising order mostly. */
static const bml_sample__panel *bml_sample__panel_at(bml_sample__build *b, double x) {
    while (b->at < b->n_panels - 1 && x > b->panel[b->at].b) {
        b->at++;
    }
    while (b->at > 0 && x < b->panel[b->at].a) {
        b->at--;
    }
    return &b->panel[b->at];
}

/* Integral from the lower end to x. */
static double bml_sample__integral_to(bml_sample__build *b, double x) {
    const bml_sample__panel *s = bml_sample__panel_at(b, x);
    return s->start + bml_sample__panel_cdf(s, x);
}

enum { BML_SAMPLE__LOOKS = 512 };

/* Points m of [from, to] at which the density is off a cubic through its neighbours and off the panels: b->hard. */
static int bml_sample__look_between(bml_sample__build *b, double from, double to, int m) {
    double x[BML_SAMPLE__LOOKS];
    double p[BML_SAMPLE__LOOKS];
    int status = BML_SAMPLE_OK;
    double range = b->upper - b->lower;
    if (!(to - from > 1e-9 * range)) {
        return status; /* its Gauss points are as close */
    }
    for (int done = 0; !status && done < m; done += BML_SAMPLE__LOOKS - 4) {
        int n = m - done < BML_SAMPLE__LOOKS ? m - done : BML_SAMPLE__LOOKS;
        for (int i = 0; i < n; i++) {
            double share = (done + i + 0.5) / m;
            x[i] = from + (to - from) * share;
        }
        status = bml_sample__look(b, p, x, n);
        for (int i = 2; !status && i + 2 < n && b->n_found < BML_SAMPLE__FOUND; i++) {
            double beside = p[i - 1] + p[i + 1];
            double beyond = p[i - 2] + p[i + 2];
            double smooth = (4 * beside - beyond) / 6;
            double large = p[i] > smooth ? p[i] : smooth;
            if (!(fabs(p[i] - smooth) > 1e-4 * large)) {
                continue;
            }
            const bml_sample__panel *panel = bml_sample__panel_at(b, x[i]);
            double there = bml_sample__panel_density(panel, x[i]);
            double allowed = 1e-4 * large + 1e-9 * b->total / range;
            if (!(fabs(p[i] - there) > allowed)) {
                continue;
            }
            b->hard[b->n_hard++] = x[i];
            b->n_found++;
            i += 8;
        }
    }
    return status;
}

/* Peaks between the panels' points: they become edges, and the panels are made again. */
static int bml_sample__look_closely(bml_sample__build *b) {
    int look = b->config.look ? b->config.look : 131072;
    for (int round = 0; round < 4; round++) {
        int before = b->n_hard;
        int n = b->n_edges - 1;
        int status = BML_SAMPLE_OK;
        b->n_found = 0;
        if (b->n_hard + BML_SAMPLE__FOUND > BML_SAMPLE__FOUND + 64) {
            break;
        }
        for (int i = 0; !status && i < n && look > n; i++) {
            const double *edge = b->edge + i;
            double share = 1.0 / n;
            int finite = bml_sample__finite(b->config.upper - b->config.lower);
            if (n <= 64 && finite) {
                share = (edge[1] - edge[0]) / (b->upper - b->lower);
            }
            int points = (int)(look * share) + 8;
            status = bml_sample__look_between(b, edge[0], edge[1], points);
        }
        if (status || b->n_hard == before) {
            return status;
        }
        for (int i = before; i < b->n_hard; i++) {
            bml_sample__add_point(b, b->hard[i]);
        }
        b->n_hard = before; /* they are no breaks */
        status = bml_sample__panels(b);
        if (status) return status;
        /* the same points again: what was found must be gone */
    }
    b->doubt = b->total;
    return BML_SAMPLE_OK;
}

/* Monomials of the polynomial through (v[i], y[i]), 6 points with v[0] = y[0] = 0: k[5] of v ... v^5. */
static void bml_sample__quintic(double *k, const double *v, const double *y) {
    double d[6];
    for (int i = 0; i < 6; i++) {
        d[i] = y[i];
    }
    for (int order = 1; order < 6; order++) {
        for (int i = 5; i >= order; i--) {
            double step = v[i] - v[i - order];
            d[i] = (d[i] - d[i - 1]) / step;
        }
    }
    double c[6] = {d[5], 0, 0, 0, 0, 0};
    for (int i = 4; i >= 0; i--) { /* c = c (v - v[i]) + d[i] */
        for (int j = 5; j > 0; j--) {
            c[j] = c[j - 1] - v[i] * c[j];
        }
        c[0] = d[i] - v[i] * c[0];
    }
    memcpy(k, c + 1, 5 * sizeof *k);
}

static double bml_sample__horner(const double *k, double v) {
    double high = k[2] + v * (k[3] + v * k[4]);
    return v * (k[0] + v * (k[1] + v * high));
}

/* A straight piece. */
static double bml_sample__straight(bml_sample__piece *piece, double width, double mass) {
    memset(piece->k, 0, sizeof piece->k);
    piece->k[0] = width;
    return mass;
}

/* A quintic from a to b: returns how far it is off the CDF at worst, or 2 where it does not rise. */
static double bml_sample__fit_piece(bml_sample__build *b, bml_sample__piece *piece, double from, double to,
                                    double before) {
    /* zeros of T_6, stretched to the ends: they keep the product of distances lowest */
    static const double share[6] = {
        0, 0.13397459621556135, 0.36602540378443865, 0.63397459621556129, 0.8660254037844386, 1};
    double v[6];
    double y[6];
    double width = to - from;
    double mass = bml_sample__integral_to(b, to) - before;
    piece->x = from;
    piece->c = before;
    piece->per_mass = mass > 0 ? 1 / mass : 0;
    double small_mass = b->config.tolerance * b->total;
    int little = mass < 0.4 * small_mass;
    if (mass <= 1e-2 * small_mass) {
        return bml_sample__straight(piece, width, mass);
    }
    for (int i = 0; i < 6; i++) {
        double at = bml_sample__integral_to(b, from + width * share[i]) - before;
        v[i] = i < 5 ? at * piece->per_mass : 1;
        y[i] = share[i];
        if (i && !(v[i] - v[i - 1] > 1e-7)) {
            return little ? bml_sample__straight(piece, width, mass) : 2;
        }
    }
    bml_sample__quintic(piece->k, v, y);
    double worst = 0;
    double sum = 0;
    double last = 0;
    for (int i = 0; i < 10; i++) {
        const double *node = v + i / 2;
        double way = i % 2 ? 0.66 : 0.34;
        double at = node[0] + way * (node[1] - node[0]);
        double eta = bml_sample__horner(piece->k, at);
        int rises = eta > last && eta < 1;
        if (!rises) {
            return little ? bml_sample__straight(piece, width, mass) : 2;
        }
        double there = bml_sample__integral_to(b, from + width * eta);
        double error = fabs(there - before - at * mass);
        worst = error > worst ? error : worst;
        sum += error;
        last = eta;
    }
    if (worst > 0.25 * sum) {
        worst *= 1.6; /* at a jump or kink the error peaks somewhere between these points */
    }
    for (int i = 0; i < 5; i++) {
        piece->k[i] *= width;
    }
    return worst;
}

/* The end of the piece that begins at x: the next break, or the upper end. */
static double bml_sample__next_break(const bml_sample__build *b, double x) {
    for (int i = 0; i < b->n_hard; i++) {
        if (b->hard[i] > x) {
            return b->hard[i];
        }
    }
    return b->upper;
}

/* Pieces from left to right; n_pieces stays below what is allowed, or -1 comes back. */
static int bml_sample__pieces(bml_sample__build *b, double tolerance) {
    const double order = 1.0 / 6;
    double x = b->lower;
    double width = (b->upper - b->lower) / 16;
    b->n_pieces = 0;
    b->misfit = 0;
    double before = 0;
    int failed = 0; /* this piece was too long: it does not reach out to the end again */
    while (x < b->upper) {
        if (b->n_pieces >= b->config.max_intervals) {
            return -1;
        }
        void *more = bml_sample__more(b->piece, b->n_pieces, &b->piece_room, sizeof *b->piece);
        if (!more) {
            return BML_SAMPLE_NO_MEMORY;
        }
        b->piece = (bml_sample__piece *)more;
        double limit = bml_sample__next_break(b, x);
        double to = x + width < limit ? x + width : limit;
        if (!failed && limit - to < 0.3 * (to - x)) {
            to = limit;
        }
        double error = bml_sample__fit_piece(b, &b->piece[b->n_pieces], x, to, before);
        double allowed = tolerance * b->total;
        double ratio = allowed / (error + 1e-30 * b->total + DBL_MIN);
        double factor = error > b->total ? 0.4 : 0.998 * pow(ratio, order);
        double rounding = 4e-16 * (fabs(x) + fabs(to));
        int smallest = !(to - x > rounding) || !(x + 0.25 * (to - x) > x);
        if (!(error <= allowed) && !smallest) {
            factor = factor < 0.99 ? factor : 0.99;
            width = (to - x) * (factor > 0.2 ? factor : 0.2);
            failed = 1;
            continue;
        }
        int is_short = to < limit && error < 0.96 * tolerance * b->total && factor > 1;
        if (!failed && is_short) { /* once more */
            width = (to - x) * (factor < 4 ? factor : 4);
            failed = 1;
            continue;
        }
        failed = 0;
        if (error < b->total && error > b->misfit) {
            b->misfit = error;
        }
        factor = factor < 4 ? factor : 4;
        width = (to - x) * (factor > 0.7 ? factor : 0.7);
        x = to;
        before = bml_sample__integral_to(b, x);
        b->n_pieces++;
    }
    return BML_SAMPLE_OK;
}

/* The pieces as a table, in one block of memory. */
static bml_sample_table *bml_sample__table_block(int n) {
    bml_sample_table *t = NULL;
    for (int pass = 0; pass < 2; pass++) {
        size_t used = 0;
        void *base = t;
        bml_sample__take(base, &used, 1, sizeof *t);
        void *pieces = bml_sample__take(base, &used, (ptrdiff_t)n + 1, sizeof(bml_sample__piece));
        int *guide = (int *)bml_sample__take(base, &used, n, sizeof *guide);
        if (!t) {
            t = (bml_sample_table *)bml_sample__alloc(used);
            if (!t) {
                return NULL;
            }
            continue;
        }
        t->piece = (bml_sample__piece *)pieces;
        t->guide = guide;
        t->n = n;
    }
    return t;
}

static void bml_sample__guide(bml_sample_table *t) {
    int i = 0;
    for (int k = 0; k < t->n; k++) {
        double u = (double)k / t->n;
        while (i < t->n - 1 && t->piece[i + 1].c <= u) {
            i++;
        }
        t->guide[k] = i;
    }
}

static int bml_sample__finish(bml_sample_table **table, bml_sample__build *b) {
    bml_sample_table *t = bml_sample__table_block(b->n_pieces);
    if (!t) {
        return bml_sample__say(b->why, BML_SAMPLE_NO_MEMORY);
    }
    for (int i = 0; i < t->n; i++) {
        bml_sample__piece *p = &t->piece[i];
        *p = b->piece[i];
        p->c /= b->total;
        p->per_mass *= b->total;
    }
    t->piece[t->n].c = 1;
    t->piece[t->n].x = b->upper;
    t->integral = b->total;
    t->error = (1.06 * b->misfit + b->doubt) / b->total;
    int tails = !bml_sample__finite(b->config.lower) + !bml_sample__finite(b->config.upper);
    t->error += bml_sample__tail_share * tails * b->config.tolerance;
    bml_sample__guide(t);
    *table = t;
    if (t->error <= b->config.tolerance) {
        return BML_SAMPLE_OK;
    }
    bml_sample__fail(t->message, 0, "%d intervals, CDF error %.2g, wanted %.2g", t->n, t->error, b->config.tolerance);
    return bml_sample__fail(b->why, BML_SAMPLE_NOT_CONVERGED, "%s", t->message);
}

/* Panels, then pieces; with a larger tolerance where there would be too many. */
static int bml_sample__table_build(bml_sample_table **table, bml_sample__build *b) {
    int status = bml_sample__first_edges(b);
    for (int pass = 0; !status && pass < 3; pass++) { /* again where the first estimate of the integral was poor */
        double estimate = b->total;
        status = bml_sample__panels(b);
        if (b->total < 4 * estimate && estimate > 0) {
            break;
        }
    }
    if (!status && !bml_sample__finite(b->total)) {
        return bml_sample__fail(b->why, BML_SAMPLE_NOT_INTEGRABLE, "the integral is infinite");
    }
    if (!status && !(b->total > 0)) {
        status = bml_sample__look_closely(b);
        if (!status && !(b->total > 0)) {
            return bml_sample__say(b->why, BML_SAMPLE_ZERO_DENSITY);
        }
    } else if (!status && b->config.look != 1) {
        status = bml_sample__look_closely(b);
    }
    if (!status && b->worst > 5e-4 * b->total) {
        return bml_sample__fail(b->why, BML_SAMPLE_NOT_INTEGRABLE, "near x = %.9g the integral grows without end",
                                b->worst_at);
    }
    if (status) {
        return status == BML_SAMPLE_NO_MEMORY ? bml_sample__say(b->why, status) : status;
    }
    int tails = !bml_sample__finite(b->config.lower) + !bml_sample__finite(b->config.upper);
    double left = (1 - bml_sample__tail_share * tails) * b->config.tolerance - b->doubt / b->total;
    double tolerance = left / 1.061;
    double least = 0.3 * b->config.tolerance;
    if (!(tolerance > least)) {
        tolerance = least;
    }
    do {
        status = bml_sample__pieces(b, tolerance);
        tolerance *= 4;
    } while (status == -1 && tolerance < 1);
    if (status) {
        return bml_sample__say(b->why, status == -1 ? BML_SAMPLE_TOO_LARGE : status);
    }
    return bml_sample__finish(table, b);
}

static int bml_sample__table_rules(bml_sample_table_config *c, char *why) {
    if (c->tolerance == 0) {
        c->tolerance = 1e-7;
    }
    if (c->max_intervals == 0) {
        c->max_intervals = 65536;
    }
    if (!c->density) {
        return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "density: needed");
    }
    bml_sample__rule rule[] = {
        {"tolerance", c->tolerance, 1e-12, 0.1},  {"max_intervals", (double)c->max_intervals, 32, 1 << 24},
        {"centre", c->centre, -DBL_MAX, DBL_MAX}, {"n_breaks", (double)c->n_breaks, 0, 64},
        {"look", (double)c->look, 0, 1 << 24},
    };
    int status = bml_sample__rules(why, rule, (int)(sizeof rule / sizeof *rule));
    if (status) return status;
    uint64_t low = bml_sample__bits64(c->lower);
    uint64_t high = bml_sample__bits64(c->upper);
    double from = low == (uint64_t)0xFFF << 52 ? -DBL_MAX / 4 : c->lower; /* -infinity */
    double to = high == (uint64_t)0x7FF << 52 ? DBL_MAX / 4 : c->upper;
    status = bml_sample__check_range(why, "lower, upper", from, to);
    for (int i = 0; !status && i < c->n_breaks; i++) {
        double last = i ? c->breaks[i - 1] : from;
        double here = c->breaks[i];
        if (!bml_sample__finite(here) || !(here > last && here < to)) {
            status = bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "breaks[%d] = %.9g: must rise, inside the range", i,
                                      here);
        }
    }
    return status;
}

BML_SAMPLE_DEF int(bml_sample_table_create)(bml_sample_table **table, const bml_sample_table_config *config,
                                            char *why) {
    bml_sample__say(why, BML_SAMPLE_OK);
    if (table) {
        *table = NULL;
    }
    if (!table || !config) {
        return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "table, config: needed");
    }
    bml_sample__build *b = (bml_sample__build *)bml_sample__alloc(sizeof *b);
    if (!b) {
        return bml_sample__say(why, BML_SAMPLE_NO_MEMORY);
    }
    b->config = *config;
    b->why = why;
    int status = bml_sample__table_rules(&b->config, why);
    if (!status) {
        status = bml_sample__table_build(table, b);
    }
    BML_SAMPLE_FREE(b->panel);
    BML_SAMPLE_FREE(b->piece);
    BML_SAMPLE_FREE(b);
    return status;
}

static int bml_sample__ascending(double x, double y) {
    return (x > y) - (x < y);
}

/* Heap sort, so that no worst case is slow and no library is needed for the header's allocator. */
static void bml_sample__sift(double *x, ptrdiff_t root, ptrdiff_t n) {
    double value = x[root];
    for (ptrdiff_t child = 2 * root + 1; child < n; child = 2 * root + 1) {
        int two = child + 1 < n;
        if (two && bml_sample__ascending(x[child], x[child + 1]) < 0) {
            child++;
        }
        if (!(x[child] > value)) {
            break;
        }
        x[root] = x[child];
        root = child;
    }
    x[root] = value;
}

static void bml_sample__sort(double *x, ptrdiff_t n) {
    for (ptrdiff_t i = n / 2 - 1; i >= 0; i--) {
        bml_sample__sift(x, i, n);
    }
    for (ptrdiff_t i = n - 1; i >= 1; i--) {
        double last = x[i];
        x[i] = x[0];
        x[0] = last;
        bml_sample__sift(x, 0, i);
    }
}

BML_SAMPLE_DEF int(bml_sample_table_from_samples)(bml_sample_table **table, const double *samples, size_t n, int nodes,
                                                  char *why) {
    bml_sample__say(why, BML_SAMPLE_OK);
    if (table) {
        *table = NULL;
    }
    if (!table || !samples) {
        return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "table, samples: needed");
    }
    bml_sample__rule rule[] = {
        {"nodes", (double)nodes, 0, 1 << 24},
        {"n", (double)n, 2, 1e15},
    };
    int status = bml_sample__rules(why, rule, 2);
    if (status) return status;
    ptrdiff_t count = (ptrdiff_t)n;
    if (!bml_sample__all_finite(samples, count)) {
        return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "samples: one is NaN or infinite");
    }
    ptrdiff_t k = nodes ? nodes : 1024;
    k = k < count ? k : count;
    k = k > 2 ? k : 2;
    double *sorted = bml_sample__doubles(count);
    bml_sample_table *t = bml_sample__table_block((int)k - 1);
    if (!sorted || !t) {
        BML_SAMPLE_FREE(sorted);
        BML_SAMPLE_FREE(t);
        return bml_sample__say(why, BML_SAMPLE_NO_MEMORY);
    }
    memcpy(sorted, samples, bml_sample__bytes(count, sizeof *sorted));
    bml_sample__sort(sorted, count);
    for (ptrdiff_t i = 0; i < k; i++) {
        double at = (double)(count - 1) * (double)i / (double)(k - 1);
        ptrdiff_t below = (ptrdiff_t)at < count - 1 ? (ptrdiff_t)at : count - 2;
        const double *sample = sorted + below;
        bml_sample__piece *p = &t->piece[i];
        p->x = bml_sample__between(sample[0], sample[1], at - (double)below);
        p->c = (double)i / (double)(k - 1);
        p->per_mass = (double)(k - 1);
        if (i) {
            p[-1].k[0] = p->x - p[-1].x;
        }
    }
    int same = !(sorted[0] < sorted[count - 1]);
    BML_SAMPLE_FREE(sorted);
    t->integral = 1;
    double noise = sqrt(log(2 / 0.05) / (2 * (double)n));
    t->error = noise + 1.0 / (double)(k - 1);
    bml_sample__guide(t);
    if (same) {
        BML_SAMPLE_FREE(t);
        return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "samples: all are equal");
    }
    *table = t;
    return BML_SAMPLE_OK;
}

BML_SAMPLE_DEF void bml_sample_table_free(bml_sample_table *t) {
    BML_SAMPLE_FREE(t);
}
BML_SAMPLE_DEF const char *bml_sample_table_message(const bml_sample_table *t) {
    return t ? t->message : "";
}
BML_SAMPLE_DEF double bml_sample_table_error(const bml_sample_table *t) {
    return t ? t->error : bml_sample__nan();
}
BML_SAMPLE_DEF double bml_sample_table_integral(const bml_sample_table *t) {
    return t ? t->integral : bml_sample__nan();
}
BML_SAMPLE_DEF int bml_sample_table_intervals(const bml_sample_table *t) {
    return t ? t->n : 0;
}

static inline double bml_sample__table_at(const bml_sample_table *t, double u) {
    uint32_t k = (uint32_t)(int32_t)(u * t->n);
    uint32_t last = (uint32_t)(t->n - 1);
    int i = t->guide[k < last ? k : last];
    while (i < t->n - 1 && !(u < t->piece[i + 1].c)) {
        i++;
    }
    const bml_sample__piece *p = &t->piece[i];
    double v = (u - p->c) * p->per_mass;
    double x = p->x + bml_sample__horner(p->k, v);
    x = x > p->x ? x : p->x;
    return x < p[1].x ? x : p[1].x;
}

BML_SAMPLE_DEF int bml_sample_table_inverse(const bml_sample_table *table, double *x, const double *u, size_t n) {
    if (!table || !x || !u || !bml_sample__all_in_unit(u, (ptrdiff_t)n)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = bml_sample__table_at(table, u[i]);
    }
    return BML_SAMPLE_OK;
}

BML_SAMPLE_DEF int bml_sample_table_draw(const bml_sample_table *table, double *x, size_t n, bml_sample_rng *rng) {
    if (!table || !x || !rng) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    bml_sample_rng_fill(x, n, rng);
    for (size_t i = 0; i < n; i++) {
        x[i] = bml_sample__table_at(table, x[i]);
    }
    return BML_SAMPLE_OK;
}

/* The piece that holds x, which is inside the table. */
static int bml_sample__piece_of(const bml_sample_table *t, double x) {
    int low = 0;
    int high = t->n;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (t->piece[middle].x <= x) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* v in [0,1] where the piece is at x: Newton, halving where it leaves the bracket; *slope = dx/dv. */
static double bml_sample__piece_inverse(double *slope, const bml_sample__piece *p, double x) {
    const double *k = p->k;
    double bracket_low = 0;
    double bracket_high = 1;
    double from_start = x - p->x;
    double v = from_start / (p[1].x - p->x);
    for (int i = 0; i < 60; i++) {
        double error = bml_sample__horner(k, v) - from_start;
        double high = 3 * k[2] + v * (4 * k[3] + v * 5 * k[4]);
        *slope = k[0] + v * (2 * k[1] + v * high);
        if (error > 0) {
            bracket_high = v;
        } else {
            bracket_low = v;
        }
        double next = v - error / *slope;
        int inside = next >= bracket_low && next <= bracket_high;
        if (!(*slope > 0) || !inside) {
            next = 0.5 * (bracket_low + bracket_high);
        }
        double step = fabs(next - v);
        v = next;
        if (step < 1e-15) {
            break;
        }
    }
    return v;
}

BML_SAMPLE_DEF int bml_sample_table_cdf(const bml_sample_table *t, double *cdf, double *pdf, const double *x,
                                        size_t n) {
    if (!t || !x) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    for (size_t s = 0; s < n; s++) { /* NaN has all exponent bits and some others */
        if ((bml_sample__bits64(x[s]) << 1) > (uint64_t)0x7FF << 53) {
            return BML_SAMPLE_BAD_ARGUMENT;
        }
    }
    for (size_t s = 0; s < n; s++) {
        double lower = t->piece[0].x;
        double upper = t->piece[t->n].x;
        int inside = x[s] >= lower && x[s] <= upper;
        double c = x[s] > lower;
        double density = 0;
        if (inside) {
            const bml_sample__piece *p = &t->piece[bml_sample__piece_of(t, x[s])];
            double slope = 1;
            double v = p[1].x > p->x ? bml_sample__piece_inverse(&slope, p, x[s]) : 0;
            double mass = p[1].c - p->c;
            c = p->c + mass * v;
            density = slope > 0 ? mass / slope : 0;
        }
        if (cdf) {
            cdf[s] = c;
        }
        if (pdf) {
            pdf[s] = density;
        }
    }
    return BML_SAMPLE_OK;
}

/* >> grids over parameters
   At every node of Z the density becomes a table, of which the inverse CDF is kept in a coordinate in which it is
   smooth where the density ends with a step or with a slope. */

struct bml_sample_grid {
    bml_sample_grid_config config;
    double z_lower[BML_SAMPLE_MAX_Z];
    double z_upper[BML_SAMPLE_MAX_Z];
    ptrdiff_t z_nodes[BML_SAMPLE_MAX_Z];
    ptrdiff_t rows; /* nodes of Z */
    double *x;      /* [rows][u_nodes] */
    double error;
    char message[BML_SAMPLE_MESSAGE];
};

static double bml_sample__v_of(double u) {
    return 2 / BML_SAMPLE__PI * asin(sqrt(u));
}

static double bml_sample__u_of(double v) {
    double s = sin(0.5 * BML_SAMPLE__PI * v);
    return s * s;
}

/* The density at Z as a table. */
static int bml_sample__grid_row(bml_sample_table **table, bml_sample_grid *g, const double *z, char *why) {
    bml_sample_table_config c;
    memset(&c, 0, sizeof c);
    c.density = g->config.density;
    c.user = g->config.user;
    c.z = z;
    c.lower = g->config.lower;
    c.upper = g->config.upper;
    c.look = 1;
    char text[BML_SAMPLE_MESSAGE];
    int status = bml_sample_table_create(table, &c, text);
    return status ? bml_sample__fail(why, status, "z = %.6g ...: %.400s", z[0], text) : status;
}

/* z[n_z] of row number `row`, moved by `shift` steps along each axis. */
static void bml_sample__grid_z(double *z, const bml_sample_grid *g, ptrdiff_t row, double shift) {
    for (int k = g->config.n_z - 1; k >= 0; k--) {
        ptrdiff_t nodes = g->z_nodes[k];
        double at = ((double)(row % nodes) + shift) / (double)(nodes - 1);
        at = at < 1 ? at : 1;
        z[k] = bml_sample__between(g->z_lower[k], g->z_upper[k], at);
        row /= nodes;
    }
}

/* The node below z on axis k, and the share of the way to the next. */
static ptrdiff_t bml_sample__grid_node(double *share, const bml_sample_grid *g, int k, double z) {
    ptrdiff_t last = g->z_nodes[k] - 1;
    double way = (z - g->z_lower[k]) / (g->z_upper[k] - g->z_lower[k]);
    double at = way * (double)last;
    ptrdiff_t i = (ptrdiff_t)at < last ? (ptrdiff_t)at : last - 1;
    *share = at - (double)i;
    return i;
}

/* Multilinear between the 2^n_z rows around z and the two nodes around v. */
static double bml_sample__grid_at(const bml_sample_grid *g, double u, const double *z) {
    ptrdiff_t row = 0;
    ptrdiff_t step[BML_SAMPLE_MAX_Z];
    ptrdiff_t stride = 1;
    double share[BML_SAMPLE_MAX_Z];
    int last = g->config.u_nodes - 1;
    double v = bml_sample__v_of(u) * last;
    double x = 0;
    int j = (int)v < last ? (int)v : last - 1;
    v -= j;
    for (int k = g->config.n_z - 1; k >= 0; k--) {
        row += bml_sample__grid_node(&share[k], g, k, z[k]) * stride;
        step[k] = stride;
        stride *= g->z_nodes[k];
    }
    for (int corner = 0; corner < 1 << g->config.n_z; corner++) {
        double weight = 1;
        ptrdiff_t at = row;
        for (int k = 0; k < g->config.n_z; k++) {
            weight *= corner >> k & 1 ? share[k] : 1 - share[k];
            if (corner >> k & 1) {
                at += step[k];
            }
        }
        const double *p = g->x + at * g->config.u_nodes + j;
        x += weight * bml_sample__between(p[0], p[1], v);
    }
    return x;
}

static int bml_sample__grid_fill(bml_sample_grid *g, char *why) {
    double z[BML_SAMPLE_MAX_Z];
    int n_u = g->config.u_nodes;
    int status = BML_SAMPLE_OK;
    for (ptrdiff_t row = 0; !status && row < g->rows; row++) {
        bml_sample_table *table;
        bml_sample__grid_z(z, g, row, 0);
        status = bml_sample__grid_row(&table, g, z, why);
        for (int j = 0; !status && j < n_u; j++) {
            double u = bml_sample__u_of((double)j / (n_u - 1));
            g->x[row * n_u + j] = bml_sample__table_at(table, u);
        }
        bml_sample_table_free(table);
    }
    return status;
}

/* In the middle of the cells, 4096 of them at most. */
static int bml_sample__grid_measure(bml_sample_grid *g, char *why) {
    double z[BML_SAMPLE_MAX_Z];
    int n_u = g->config.u_nodes;
    int status = BML_SAMPLE_OK;
    for (ptrdiff_t row = 0; !status && row < g->rows; row += g->rows / 4096 + 1) {
        bml_sample_table *table;
        bml_sample__grid_z(z, g, row, 0.5);
        status = bml_sample__grid_row(&table, g, z, why);
        for (int j = 0; !status && j < n_u - 1; j++) {
            double u = bml_sample__u_of((j + 0.5) / (n_u - 1));
            double x = bml_sample__grid_at(g, u, z);
            double c = 0;
            status = bml_sample_table_cdf(table, &c, NULL, &x, 1);
            double error = fabs(c - u);
            if (!(error <= g->error)) {
                g->error = error;
            }
        }
        bml_sample_table_free(table);
    }
    return status;
}

static int bml_sample__z_rules(int n_z, int most, const double *lower, const double *upper, const int *nodes,
                               char *why) {
    if (n_z < 0 || n_z > most) {
        return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "n_z = %d: must be in [0, %d]", n_z, most);
    }
    if (n_z && (!lower || !upper || !nodes)) {
        return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "z_lower, z_upper, z_nodes: needed");
    }
    int status = BML_SAMPLE_OK;
    for (int k = 0; !status && k < n_z; k++) {
        bml_sample__rule rule = {"z_nodes", (double)nodes[k], 2, 2147483647};
        status = bml_sample__check_range(why, "z_lower, z_upper", lower[k], upper[k]);
        if (!status) {
            status = bml_sample__rules(why, &rule, 1);
        }
    }
    return status;
}

static int bml_sample__grid_rules(bml_sample_grid_config *c, char *why) {
    if (c->u_nodes == 0) {
        c->u_nodes = 257;
    }
    if (!c->density) {
        return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "density: needed");
    }
    bml_sample__rule rule[] = {
        {"n_z", (double)c->n_z, 1, BML_SAMPLE_MAX_Z},
        {"u_nodes", (double)c->u_nodes, 2, 1 << 20},
    };
    int status = bml_sample__rules(why, rule, 2);
    if (!status) {
        status = bml_sample__check_range(why, "lower, upper", c->lower, c->upper);
    }
    if (status) return status;
    return bml_sample__z_rules(c->n_z, BML_SAMPLE_MAX_Z, c->z_lower, c->z_upper, c->z_nodes, why);
}

/* The object with its nodes, in one block; TOO_LARGE where their number overflows. */
static int bml_sample__grid_block(bml_sample_grid **grid, const bml_sample_grid_config *c, char *why) {
    size_t rows = 1;
    size_t bytes;
    for (int k = 0; k < c->n_z; k++) {
        if (!bml_sample__mul(&rows, rows, (size_t)c->z_nodes[k], 1)) {
            return bml_sample__say(why, BML_SAMPLE_TOO_LARGE);
        }
    }
    if (!bml_sample__mul(&bytes, rows, (size_t)c->u_nodes, 2 * sizeof(double))) {
        return bml_sample__say(why, BML_SAMPLE_TOO_LARGE);
    }
    size_t used = 0;
    bml_sample__take(NULL, &used, 1, sizeof **grid);
    bml_sample_grid *g = (bml_sample_grid *)bml_sample__alloc(used + bytes / 2);
    if (!g) {
        return bml_sample__say(why, BML_SAMPLE_NO_MEMORY);
    }
    g->x = (double *)((char *)g + used);
    g->config = *c;
    g->rows = (ptrdiff_t)rows;
    for (int k = 0; k < c->n_z; k++) {
        g->z_lower[k] = c->z_lower[k];
        g->z_upper[k] = c->z_upper[k];
        g->z_nodes[k] = c->z_nodes[k];
    }
    g->config.z_lower = NULL; /* the caller's: copied */
    g->config.z_upper = NULL;
    g->config.z_nodes = NULL;
    *grid = g;
    return BML_SAMPLE_OK;
}

BML_SAMPLE_DEF int(bml_sample_grid_create)(bml_sample_grid **grid, const bml_sample_grid_config *config, char *why) {
    bml_sample__say(why, BML_SAMPLE_OK);
    if (grid) {
        *grid = NULL;
    }
    if (!grid || !config) {
        return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "grid, config: needed");
    }
    bml_sample_grid_config c = *config;
    bml_sample_grid *g = NULL;
    int status = bml_sample__grid_rules(&c, why);
    if (!status) {
        status = bml_sample__grid_block(&g, &c, why);
    }
    if (!status) {
        status = bml_sample__grid_fill(g, why);
    }
    if (!status) {
        status = bml_sample__grid_measure(g, why);
    }
    if (status) {
        BML_SAMPLE_FREE(g);
        return status;
    }
    *grid = g;
    return BML_SAMPLE_OK;
}

BML_SAMPLE_DEF void bml_sample_grid_free(bml_sample_grid *grid) {
    BML_SAMPLE_FREE(grid);
}
BML_SAMPLE_DEF const char *bml_sample_grid_message(const bml_sample_grid *grid) {
    return grid ? grid->message : "";
}
BML_SAMPLE_DEF double bml_sample_grid_error(const bml_sample_grid *grid) {
    return grid ? grid->error : bml_sample__nan();
}

BML_SAMPLE_DEF int bml_sample_grid_draw(const bml_sample_grid *g, double *x, const double *z, const double *u, size_t n,
                                        bml_sample_rng *rng) {
    double room[BML_SAMPLE__CHUNK];
    if (!g || !x || !z || (!u && !rng)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    if (u && !bml_sample__all_in_unit(u, (ptrdiff_t)n)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    ptrdiff_t n_z = g->config.n_z;
    size_t count;
    if (!bml_sample__mul(&count, n, (size_t)n_z, sizeof(double))) {
        return BML_SAMPLE_TOO_LARGE;
    }
    ptrdiff_t left = (ptrdiff_t)n;
    for (ptrdiff_t i = 0; i < left * n_z; i++) {
        ptrdiff_t k = i % n_z;
        if (!bml_sample__finite(z[i]) || !(z[i] >= g->z_lower[k] && z[i] <= g->z_upper[k])) {
            return BML_SAMPLE_BAD_ARGUMENT;
        }
    }
    int m;
    for (ptrdiff_t done = 0; done < left; done += m) {
        m = bml_sample__chunk_of(left - done);
        const double *uu = bml_sample__uniforms_of(room, u, done, m, rng);
        bml_sample__leave_vectors();
        for (int i = 0; i < m; i++) {
            x[done + i] = bml_sample__grid_at(g, uu[i], z + (done + i) * n_z);
        }
    }
    return BML_SAMPLE_OK;
}

/* >> cells
   A box is halved along the axis on which the density bends most, the box that misses most first. Inside the density is
   mean (1 + sum s_k xi_k), xi in [-1,1]: xi uniform, then all of it reflected with probability (1 - sum s_k xi_k)/2,
   which is exact, as a point and its reflection have the sum 2. */

enum { BML_SAMPLE__CELL_DIM = 4 };
enum { BML_SAMPLE__CELL_Z = 3 };

typedef struct bml_sample__box {
    float middle[BML_SAMPLE__CELL_DIM]; /* in units of the whole range */
    float half[BML_SAMPLE__CELL_DIM];
    float slope[BML_SAMPLE__CELL_DIM];
    float share;    /* of the alias column */
    uint32_t other; /* its other box */
} bml_sample__box;

typedef struct bml_sample__cell {
    bml_sample__box box;
    double mass; /* integral */
    double miss; /* integral of |density - linear| */
    int axis;    /* on which it bends most */
} bml_sample__cell;

struct bml_sample_cells {
    bml_sample_cells_config config;
    double lower[BML_SAMPLE__CELL_DIM];
    double width[BML_SAMPLE__CELL_DIM];
    double z_lower[BML_SAMPLE__CELL_Z];
    double z_upper[BML_SAMPLE__CELL_Z];
    int z_nodes[BML_SAMPLE__CELL_Z];
    int rows;     /* nodes of Z */
    int *first;   /* [rows + 1] boxes of each */
    double *mass; /* [rows] */
    double error;
    bml_sample__box *box;
    char message[BML_SAMPLE_MESSAGE];
};

typedef struct bml_sample__carving {
    const bml_sample_cells_config *config;
    char *why;
    const double *z;
    bml_sample__cell *cell;
    int n;
    int room;
    double total;
    double miss;
} bml_sample__carving;

/* Three Gauss points on each axis: node and weight/2. */
static const double bml_sample__three[3] = {-0.774596669241483377, 0, 0.774596669241483377};
static const double bml_sample__three_w[3] = {0.277777777777777778, 0.444444444444444444, 0.277777777777777778};

/* Density at the 3^d points of a box, volume in units of the whole. */
static int bml_sample__cell_values(const bml_sample__carving *c, double *p, const bml_sample__box *box) {
    const bml_sample_cells_config *f = c->config;
    double x[81 * BML_SAMPLE__CELL_DIM] = {0};
    int points = 1;
    for (int k = 0; k < f->n_dim; k++) {
        points *= 3;
    }
    for (int i = 0; i < points; i++) {
        int digits = i;
        for (int k = 0; k < f->n_dim; k++) {
            double middle = (double)box->middle[k];
            double at = middle + (double)box->half[k] * bml_sample__three[digits % 3];
            x[i * f->n_dim + k] = bml_sample__between(f->lower[k], f->upper[k], at);
            digits /= 3;
        }
    }
    f->density(p, x, c->z, points, f->user);
    for (int i = 0; i < points; i++) {
        if (!bml_sample__not_negative(p[i])) {
            return bml_sample__fail(c->why, BML_SAMPLE_BAD_DENSITY, "the density at x = %.9g ... is %g",
                                    x[i * f->n_dim], p[i]);
        }
    }
    return BML_SAMPLE_OK;
}

/* What the 3^d values in a box say: mean, half the rise along each axis, how much it bends there. */
typedef struct bml_sample__shape {
    double weight[81];
    double mean;
    double moment[BML_SAMPLE__CELL_DIM];
    double bend[BML_SAMPLE__CELL_DIM];
} bml_sample__shape;

static void bml_sample__shape_of(bml_sample__shape *shape, const double *p, int d, int points) {
    memset(shape, 0, sizeof *shape);
    for (int i = 0; i < points; i++) {
        int digits = i;
        int stride = 1;
        double weight = 1;
        for (int k = 0; k < d; k++) {
            weight *= bml_sample__three_w[digits % 3];
            digits /= 3;
        }
        shape->weight[i] = weight;
        shape->mean += weight * p[i];
        digits = i;
        for (int k = 0; k < d; k++) {
            double node = bml_sample__three[digits % 3];
            shape->moment[k] += 3 * weight * p[i] * node;
            if (digits % 3 == 1) {
                double second = p[i - stride] - 2 * p[i] + p[i + stride];
                shape->bend[k] += weight * fabs(second);
            }
            stride *= 3;
            digits /= 3;
        }
    }
}

/* The longest side of a box. */
static int bml_sample__longest_side(const bml_sample__box *box, int d, int first) {
    int longest = first;
    for (int k = 0; k < d; k++) {
        if (box->half[k] > box->half[longest]) {
            longest = k;
        }
    }
    return longest;
}

/* Mean, slopes, what is missed and where it bends. */
static int bml_sample__cell_measure(const bml_sample__carving *c, bml_sample__cell *cell) {
    double p[81];
    bml_sample__shape shape;
    int d = c->config->n_dim;
    int status = bml_sample__cell_values(c, p, &cell->box);
    if (status) return status;
    double volume = 1;
    int points = 1;
    for (int k = 0; k < d; k++) {
        points *= 3;
        volume *= 2 * (double)cell->box.half[k];
    }
    bml_sample__shape_of(&shape, p, d, points);
    double mean = shape.mean;
    double all = 0;
    for (int k = 0; k < d; k++) {
        all += fabs(shape.moment[k]);
    }
    double shrink = all > mean ? mean / all : 1; /* never negative */
    int axis = 0;
    for (int k = 0; k < d; k++) {
        shape.moment[k] *= shrink;
        double slope = shape.moment[k] / mean * (1 - 1e-6);
        cell->box.slope[k] = mean > 0 ? (float)slope : 0;
        if (shape.bend[k] > shape.bend[axis]) {
            axis = k;
        }
    }
    double miss = 0;
    for (int i = 0; i < points; i++) {
        int digits = i;
        double linear = mean;
        for (int k = 0; k < d; k++) {
            linear += shape.moment[k] * bml_sample__three[digits % 3];
            digits /= 3;
        }
        miss += shape.weight[i] * fabs(p[i] - linear);
    }
    int step = !(shape.bend[axis] > 0) || shrink < 1;
    cell->axis = step ? bml_sample__longest_side(&cell->box, d, axis) : axis;
    cell->mass = mean * volume;
    cell->miss = miss * volume;
    return BML_SAMPLE_OK;
}

/* Keeps the cell that misses most on top. */
static void bml_sample__heap_down(bml_sample__cell *cell, int n, int at) {
    bml_sample__cell moved = cell[at];
    for (int child = 2 * at + 1; child < n; child = 2 * at + 1) {
        int two = child + 1 < n;
        if (two && cell[child + 1].miss > cell[child].miss) {
            child++;
        }
        if (!(cell[child].miss > moved.miss)) {
            break;
        }
        cell[at] = cell[child];
        at = child;
    }
    cell[at] = moved;
}

static void bml_sample__heap_up(bml_sample__cell *cell, int at) {
    bml_sample__cell moved = cell[at];
    while (at > 0) {
        int parent = (at - 1) / 2;
        if (!(moved.miss > cell[parent].miss)) {
            break;
        }
        cell[at] = cell[parent];
        at = parent;
    }
    cell[at] = moved;
}

/* Halves the cell on top along its axis. */
static int bml_sample__carve(bml_sample__carving *c) {
    void *more = bml_sample__more(c->cell, c->n, &c->room, sizeof *c->cell);
    if (!more) {
        return BML_SAMPLE_NO_MEMORY;
    }
    c->cell = (bml_sample__cell *)more;
    bml_sample__cell *left = &c->cell[0];
    bml_sample__cell *right = &c->cell[c->n];
    c->total -= left->mass;
    c->miss -= left->miss;
    int k = left->axis;
    float half = 0.5f * left->box.half[k];
    left->box.half[k] = half;
    *right = *left;
    left->box.middle[k] -= half;
    right->box.middle[k] += half;
    int status = bml_sample__cell_measure(c, left);
    if (!status) {
        status = bml_sample__cell_measure(c, right);
    }
    if (status) return status;
    c->total += left->mass + right->mass;
    c->miss += left->miss + right->miss;
    c->n++;
    bml_sample__heap_up(c->cell, c->n - 1);
    bml_sample__heap_down(c->cell, c->n, 0);
    return BML_SAMPLE_OK;
}

/* Cells of one node of Z: 4096 even ones at first, so that peaks are seen, then halved where most is missed. */
static int bml_sample__carve_all(bml_sample__carving *c) {
    const bml_sample_cells_config *f = c->config;
    int most = f->max_cells;
    int first = f->n_dim == 1 ? 256 : 4096;
    first = first < most ? first : most;
    c->n = 0;
    void *more = bml_sample__more(c->cell, 0, &c->room, sizeof *c->cell);
    if (!more) {
        return BML_SAMPLE_NO_MEMORY;
    }
    c->cell = (bml_sample__cell *)more;
    memset(&c->cell[0], 0, sizeof c->cell[0]);
    for (int k = 0; k < f->n_dim; k++) {
        c->cell[0].box.middle[k] = 0.5f;
        c->cell[0].box.half[k] = 0.5f;
    }
    int status = bml_sample__cell_measure(c, &c->cell[0]);
    c->n = 1;
    c->total = c->cell[0].mass;
    c->miss = c->cell[0].miss;
    while (!status && c->n < first) {
        int level = c->n;
        for (int i = 0; !status && i < level && c->n < first; i++) {
            int axis = bml_sample__longest_side(&c->cell[i].box, f->n_dim, 0);
            more = bml_sample__more(c->cell, c->n, &c->room, sizeof *c->cell);
            if (!more) {
                return BML_SAMPLE_NO_MEMORY;
            }
            c->cell = (bml_sample__cell *)more;
            bml_sample__cell *left = &c->cell[i];
            bml_sample__cell *right = &c->cell[c->n];
            float half = 0.5f * left->box.half[axis];
            left->box.half[axis] = half;
            *right = *left;
            left->box.middle[axis] -= half;
            right->box.middle[axis] += half;
            c->n++;
        }
    }
    c->total = 0;
    c->miss = 0;
    for (int i = 0; !status && i < c->n; i++) {
        status = bml_sample__cell_measure(c, &c->cell[i]);
        c->total += c->cell[i].mass;
        c->miss += c->cell[i].miss;
    }
    for (int i = c->n / 2 - 1; !status && i >= 0; i--) {
        bml_sample__heap_down(c->cell, c->n, i);
    }
    while (!status && c->n < most && c->miss > 2 * f->tolerance * c->total) {
        const bml_sample__cell *top = &c->cell[0];
        if (top->box.half[top->axis] < 1e-6f) {
            break; /* a step that no halving ends */
        }
        status = bml_sample__carve(c);
    }
    return status;
}

/* Pairs columns that are too low with columns that are too high; share[n] has the mean 1. */
static void bml_sample__pair(double *share, uint32_t *other, uint32_t *stack, ptrdiff_t n) {
    uint32_t *low = stack;
    uint32_t *high = stack + n;
    ptrdiff_t n_low = 0;
    ptrdiff_t n_high = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        other[i] = (uint32_t)i;
        if (share[i] < 1) {
            low[n_low++] = (uint32_t)i;
        } else {
            high[n_high++] = (uint32_t)i;
        }
    }
    while (n_low && n_high) {
        uint32_t poor = low[--n_low];
        uint32_t rich = high[n_high - 1];
        other[poor] = rich;
        share[rich] -= 1 - share[poor];
        if (share[rich] < 1) {
            n_high--;
            low[n_low++] = rich;
        }
    }
    while (n_high) {
        share[high[--n_high]] = 1;
    }
    while (n_low) {
        share[low[--n_low]] = 1; /* rounding alone leaves one here */
    }
}

/* The cells of a node, as boxes with an alias table, at the end of *box. */
static int bml_sample__keep_boxes(bml_sample__box **box, int n_before, const bml_sample__carving *c) {
    size_t used = 0;
    bml_sample__take(NULL, &used, c->n, sizeof(double));
    bml_sample__take(NULL, &used, c->n, 3 * sizeof(uint32_t));
    void *block = bml_sample__alloc(used);
    ptrdiff_t n_after = (ptrdiff_t)n_before + c->n;
    void *more = BML_SAMPLE_REALLOC(*box, bml_sample__bytes(n_after, sizeof **box));
    if (more) {
        *box = (bml_sample__box *)more;
    }
    if (!block || !more) {
        BML_SAMPLE_FREE(block);
        return BML_SAMPLE_NO_MEMORY;
    }
    used = 0;
    double *share = (double *)bml_sample__take(block, &used, c->n, sizeof *share);
    uint32_t *other = (uint32_t *)bml_sample__take(block, &used, c->n, 3 * sizeof *other);
    for (int i = 0; i < c->n; i++) {
        share[i] = c->cell[i].mass / c->total * c->n;
    }
    bml_sample__pair(share, other, other + c->n, c->n);
    for (int i = 0; i < c->n; i++) {
        bml_sample__box *to = *box + n_before + i;
        *to = c->cell[i].box;
        to->share = (float)share[i];
        to->other = other[i];
    }
    BML_SAMPLE_FREE(block);
    return BML_SAMPLE_OK;
}

/* All nodes of Z, in turn. */
static int bml_sample__cells_fill(bml_sample_cells *s, char *why) {
    double z[BML_SAMPLE__CELL_Z] = {0, 0, 0};
    bml_sample__carving c;
    memset(&c, 0, sizeof c);
    c.config = &s->config;
    c.why = why;
    c.z = s->config.n_z ? z : NULL;
    int status = BML_SAMPLE_OK;
    double largest = 0;
    for (int row = 0; !status && row < s->rows; row++) {
        int digits = row;
        for (int k = s->config.n_z - 1; k >= 0; k--) {
            int nodes = s->z_nodes[k];
            double at = (double)(digits % nodes) / (nodes - 1);
            z[k] = bml_sample__between(s->z_lower[k], s->z_upper[k], at);
            digits /= nodes;
        }
        status = bml_sample__carve_all(&c);
        s->mass[row] = c.total;
        if (!status && !bml_sample__finite(c.total)) {
            status = BML_SAMPLE_NOT_INTEGRABLE;
        }
        int empty = !(c.total > 0);
        if (!status && empty && !s->config.n_z) {
            status = BML_SAMPLE_ZERO_DENSITY;
        }
        if (!status && !empty) {
            if (s->first[row] > 0x7FFFFFFF - c.n) {
                status = BML_SAMPLE_TOO_LARGE;
            }
            double miss = 0.5 * c.miss / c.total;
            if (!(miss <= s->error)) {
                s->error = miss;
            }
            if (!status) {
                status = bml_sample__keep_boxes(&s->box, s->first[row], &c);
            }
        }
        int boxes = c.total > 0 ? c.n : 0;
        s->first[row + 1] = s->first[row] + boxes;
        largest = c.total > largest ? c.total : largest;
    }
    BML_SAMPLE_FREE(c.cell);
    if (!status && !(largest > 0)) {
        status = BML_SAMPLE_ZERO_DENSITY;
    }
    return status && status != BML_SAMPLE_BAD_DENSITY ? bml_sample__say(why, status) : status;
}

static int bml_sample__cells_rules(bml_sample_cells_config *c, char *why) {
    if (c->tolerance == 0) {
        c->tolerance = 2e-3;
    }
    if (c->max_cells == 0) {
        c->max_cells = 65536;
    }
    if (!c->density || !c->lower || !c->upper) {
        return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "density, lower, upper: needed");
    }
    bml_sample__rule rule[] = {
        {"n_dim", (double)c->n_dim, 1, BML_SAMPLE__CELL_DIM},
        {"tolerance", c->tolerance, 1e-4, 0.5},
        {"max_cells", (double)c->max_cells, 1, 1 << 24},
    };
    int status = bml_sample__rules(why, rule, 3);
    for (int k = 0; !status && k < c->n_dim; k++) {
        status = bml_sample__check_range(why, "lower, upper", c->lower[k], c->upper[k]);
    }
    if (status) return status;
    return bml_sample__z_rules(c->n_z, BML_SAMPLE__CELL_Z, c->z_lower, c->z_upper, c->z_nodes, why);
}

/* The object without its boxes, which are counted only in the end. */
static int bml_sample__cells_block(bml_sample_cells **cells, const bml_sample_cells_config *c, char *why) {
    size_t rows = 1;
    for (int k = 0; k < c->n_z; k++) {
        if (!bml_sample__mul(&rows, rows, (size_t)c->z_nodes[k], 1) || rows > 1 << 24) {
            return bml_sample__say(why, BML_SAMPLE_TOO_LARGE);
        }
    }
    size_t used = 0;
    bml_sample__take(NULL, &used, 1, sizeof **cells);
    bml_sample__take(NULL, &used, (ptrdiff_t)rows + 1, sizeof(int));
    bml_sample__take(NULL, &used, (ptrdiff_t)rows, sizeof(double));
    bml_sample_cells *s = (bml_sample_cells *)bml_sample__alloc(used);
    if (!s) {
        return bml_sample__say(why, BML_SAMPLE_NO_MEMORY);
    }
    used = 0;
    bml_sample__take(s, &used, 1, sizeof *s);
    s->first = (int *)bml_sample__take(s, &used, (ptrdiff_t)rows + 1, sizeof(int));
    s->mass = (double *)bml_sample__take(s, &used, (ptrdiff_t)rows, sizeof(double));
    s->config = *c;
    s->rows = (int)rows;
    for (int k = 0; k < c->n_dim; k++) {
        s->lower[k] = c->lower[k];
        s->width[k] = c->upper[k] - c->lower[k];
    }
    for (int k = 0; k < c->n_z; k++) {
        s->z_lower[k] = c->z_lower[k];
        s->z_upper[k] = c->z_upper[k];
        s->z_nodes[k] = c->z_nodes[k];
    }
    *cells = s;
    return BML_SAMPLE_OK;
}

BML_SAMPLE_DEF int(bml_sample_cells_create)(bml_sample_cells **cells, const bml_sample_cells_config *config,
                                            char *why) {
    bml_sample__say(why, BML_SAMPLE_OK);
    if (cells) {
        *cells = NULL;
    }
    if (!cells || !config) {
        return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "cells, config: needed");
    }
    bml_sample_cells_config c = *config;
    bml_sample_cells *s = NULL;
    int status = bml_sample__cells_rules(&c, why);
    if (!status) {
        status = bml_sample__cells_block(&s, &c, why);
    }
    if (!status) {
        status = bml_sample__cells_fill(s, why);
    }
    if (status) {
        bml_sample_cells_free(s);
        return status;
    }
    *cells = s;
    if (s->error <= c.tolerance * (1 + 1e-9)) {
        return BML_SAMPLE_OK;
    }
    bml_sample__fail(s->message, 0, "%d boxes, total variation %.2g, wanted %.2g", s->first[s->rows], s->error,
                     c.tolerance);
    return bml_sample__fail(why, BML_SAMPLE_NOT_CONVERGED, "%s", s->message);
}

BML_SAMPLE_DEF void bml_sample_cells_free(bml_sample_cells *cells) {
    if (!cells) {
        return;
    }
    BML_SAMPLE_FREE(cells->box);
    BML_SAMPLE_FREE(cells);
}
BML_SAMPLE_DEF const char *bml_sample_cells_message(const bml_sample_cells *cells) {
    return cells ? cells->message : "";
}
BML_SAMPLE_DEF double bml_sample_cells_error(const bml_sample_cells *cells) {
    return cells ? cells->error : bml_sample__nan();
}
BML_SAMPLE_DEF double bml_sample_cells_count(const bml_sample_cells *cells) {
    return cells ? (double)cells->first[cells->rows] : 0;
}

/* A node around z, with the probability of its weight times its integral; u uniform. -1: nothing there. */
static int bml_sample__cells_row(const bml_sample_cells *s, const double *z, double u) {
    int row[8];
    double weight[8];
    double sum = 0;
    int corners = 1 << s->config.n_z;
    for (int corner = 0; corner < corners; corner++) {
        row[corner] = 0;
        weight[corner] = 1;
        for (int k = 0; k < s->config.n_z; k++) {
            int last = s->z_nodes[k] - 1;
            double way = (z[k] - s->z_lower[k]) / (s->z_upper[k] - s->z_lower[k]);
            double at = way * last;
            int i = (int)at < last ? (int)at : last - 1;
            int up = corner >> k & 1;
            weight[corner] *= up ? at - i : 1 - (at - i);
            row[corner] = row[corner] * s->z_nodes[k] + i + up;
        }
        weight[corner] *= s->mass[row[corner]];
        sum += weight[corner];
    }
    if (!(sum > 0)) {
        return -1;
    }
    u *= sum;
    int corner = 0;
    while (corner < corners - 1 && !(u < weight[corner])) {
        u -= weight[corner++];
    }
    while (corner > 0 && !(weight[corner] > 0)) {
        corner--;
    }
    return row[corner];
}

/* One point of the boxes of a node. w: words: one for box and alias, d for the point, one for the reflection. */
static void bml_sample__cells_point(const bml_sample_cells *s, double *x, int row, const uint32_t *w) {
    const bml_sample__box *first = s->box + s->first[row];
    uint32_t count = (uint32_t)(s->first[row + 1] - s->first[row]);
    uint64_t product = (uint64_t)w[0] * count;
    uint32_t column = (uint32_t)(product >> 32);
    const bml_sample__box *box = first + column;
    float left = (float)((uint32_t)product >> 8) * (1.0f / 16777216.0f);
    if (!(left < box->share)) {
        box = first + box->other;
    }
    int d = s->config.n_dim;
    double xi[BML_SAMPLE__CELL_DIM];
    double tilt = 0;
    for (int k = 0; k < d; k++) {
        xi[k] = 2 * bml_sample__word(w[1 + k]) - 1;
        tilt += (double)box->slope[k] * xi[k];
    }
    double u = bml_sample__word(w[1 + d]);
    double sign = 2 * u < 1 + tilt ? 1 : -1;
    for (int k = 0; k < d; k++) {
        double away = (double)box->half[k] * sign * xi[k];
        double at = (double)box->middle[k] + away;
        x[k] = s->lower[k] + s->width[k] * at;
    }
}

BML_SAMPLE_DEF int bml_sample_cells_draw(const bml_sample_cells *s, double *x, size_t n, const double *z, int one_z,
                                         bml_sample_rng *rng) {
    if (!s || !x || !rng || (s->config.n_z && !z)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    ptrdiff_t count = (ptrdiff_t)n;
    ptrdiff_t n_z = s->config.n_z;
    ptrdiff_t given = one_z ? (ptrdiff_t)(n > 0) : count;
    for (ptrdiff_t i = 0; i < given; i++) {
        for (ptrdiff_t k = 0; k < n_z; k++) {
            double at = z[i * n_z + k];
            if (!bml_sample__finite(at) || !(at >= s->z_lower[k] && at <= s->z_upper[k])) {
                return BML_SAMPLE_BAD_ARGUMENT;
            }
        }
        if (n_z && bml_sample__cells_row(s, z + i * n_z, 0) < 0) {
            return BML_SAMPLE_ZERO_DENSITY;
        }
    }
    uint32_t words[8 * 64];
    int d = s->config.n_dim;
    int m;
    for (ptrdiff_t done = 0; done < count; done += m) {
        m = count - done < 64 ? (int)(count - done) : 64;
        int each = n_z ? d + 3 : d + 2;
        bml_sample__words(words, (each * m + 3) / 4, rng);
        bml_sample__leave_vectors();
        for (int i = 0; i < m; i++) {
            const uint32_t *w = words + i * each;
            int row = 0;
            const double *at = one_z ? z : z + (done + i) * n_z;
            if (n_z) {
                row = bml_sample__cells_row(s, at, bml_sample__word(w[d + 2]));
            }
            bml_sample__cells_point(s, x + (done + i) * d, row, w);
        }
    }
    return BML_SAMPLE_OK;
}

/* >> alias tables
   Walker's columns of equal height: each keeps its own index up to its share, and another above it. */

struct bml_sample_alias {
    ptrdiff_t n;
    double *share;   /* [n] probability to stay in the column */
    uint32_t *other; /* [n] where to go else */
};

static int bml_sample__weights_rules(double *largest, const double *weights, size_t n, char *why) {
    *largest = 0;
    if (!weights || n < 1) {
        return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "weights: needed, one or more");
    }
    if (n > 0xFFFFFFFFu) {
        return bml_sample__say(why, BML_SAMPLE_TOO_LARGE);
    }
    for (size_t i = 0; i < n; i++) {
        if (!bml_sample__not_negative(weights[i])) {
            return bml_sample__fail(why, BML_SAMPLE_BAD_DENSITY, "weights[%lu] = %g: must be >= 0 and finite",
                                    (unsigned long)i, weights[i]);
        }
        if (weights[i] > *largest) {
            *largest = weights[i];
        }
    }
    return *largest > 0 ? BML_SAMPLE_OK : bml_sample__say(why, BML_SAMPLE_ZERO_DENSITY);
}

BML_SAMPLE_DEF int(bml_sample_alias_create)(bml_sample_alias **alias, const double *weights, size_t n, char *why) {
    double largest;
    bml_sample__say(why, BML_SAMPLE_OK);
    if (!alias) {
        return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "alias: needed");
    }
    *alias = NULL;
    int status = bml_sample__weights_rules(&largest, weights, n, why);
    if (status) return status;
    ptrdiff_t count = (ptrdiff_t)n;
    size_t used = 0;
    bml_sample__take(NULL, &used, 1, sizeof **alias);
    bml_sample__take(NULL, &used, count, sizeof(double));
    bml_sample__take(NULL, &used, count, sizeof(uint32_t));
    bml_sample_alias *a = (bml_sample_alias *)bml_sample__alloc(used);
    uint32_t *stack = (uint32_t *)bml_sample__alloc(bml_sample__bytes(count, 2 * sizeof(uint32_t)));
    if (!a || !stack) {
        BML_SAMPLE_FREE(a);
        BML_SAMPLE_FREE(stack);
        return bml_sample__say(why, BML_SAMPLE_NO_MEMORY);
    }
    used = 0;
    bml_sample__take(a, &used, 1, sizeof *a);
    a->n = count;
    a->share = (double *)bml_sample__take(a, &used, count, sizeof(double));
    a->other = (uint32_t *)bml_sample__take(a, &used, count, sizeof(uint32_t));
    double sum = 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        sum += weights[i] / largest;
    }
    for (ptrdiff_t i = 0; i < count; i++) {
        a->share[i] = weights[i] / largest * ((double)n / sum);
    }
    bml_sample__pair(a->share, a->other, stack, count);
    BML_SAMPLE_FREE(stack);
    *alias = a;
    return BML_SAMPLE_OK;
}

BML_SAMPLE_DEF void bml_sample_alias_free(bml_sample_alias *alias) {
    BML_SAMPLE_FREE(alias);
}

BML_SAMPLE_DEF int bml_sample_alias_draw(const bml_sample_alias *alias, uint32_t *index, size_t n,
                                         bml_sample_rng *rng) {
    double u[BML_SAMPLE__CHUNK];
    if (!alias || !index || !rng) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    double last = (double)(alias->n - 1);
    int m;
    for (ptrdiff_t left = (ptrdiff_t)n; left > 0; left -= m) {
        m = bml_sample__chunk_of(left);
        bml_sample__fill(u, m, rng);
        bml_sample__leave_vectors();
        for (int i = 0; i < m; i++) {
            double at = u[i] * (double)alias->n;
            uint32_t k = (uint32_t)(at < last ? at : last);
            *index++ = at - k < alias->share[k] ? k : alias->other[k];
        }
    }
    return BML_SAMPLE_OK;
}

/* >> reference methods
   Slow, and right for any density of which a bound is known. */

enum { BML_SAMPLE__PROPOSALS = 64 }; /* per call of the density */

static int bml_sample__densities(double *p, const double *x, int n, const bml_sample_ratio *how) {
    how->density(p, x, how->z, n, how->user);
    for (int i = 0; i < n; i++) {
        if (!bml_sample__not_negative(p[i])) {
            return BML_SAMPLE_BAD_DENSITY;
        }
    }
    return BML_SAMPLE_OK;
}

BML_SAMPLE_DEF int bml_sample_reject(double *x, size_t n, const bml_sample_rejection *how, bml_sample_rng *rng) {
    double try_x[BML_SAMPLE__PROPOSALS];
    double u[2 * BML_SAMPLE__PROPOSALS];
    double p[BML_SAMPLE__PROPOSALS];
    size_t done = 0;
    double misses = 0;
    int status = BML_SAMPLE_OK;
    if (!x || !how || !rng || !how->density) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    if (!bml_sample__is_range(how->lower, how->upper) || !bml_sample__within(how->bound, DBL_MIN, DBL_MAX)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    bml_sample_ratio call;
    memset(&call, 0, sizeof call);
    call.density = how->density;
    call.user = how->user;
    call.z = how->z;
    while (!status && done < n) {
        bml_sample_rng_fill(u, 2 * BML_SAMPLE__PROPOSALS, rng);
        for (int i = 0; i < BML_SAMPLE__PROPOSALS; i++) {
            try_x[i] = bml_sample__between(how->lower, how->upper, u[i]);
        }
        status = bml_sample__densities(p, try_x, BML_SAMPLE__PROPOSALS, &call);
        misses += (double)BML_SAMPLE__PROPOSALS;
        for (int i = 0; !status && i < BML_SAMPLE__PROPOSALS && done < n; i++) {
            if (p[i] > how->bound) {
                status = BML_SAMPLE_BAD_ENVELOPE;
            }
            if (how->bound * u[BML_SAMPLE__PROPOSALS + i] < p[i]) {
                x[done++] = try_x[i];
                misses = 0;
            }
        }
        if (!status && misses > 1e7) {
            status = BML_SAMPLE_NOT_CONVERGED;
        }
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
    if (!x || !how || !rng || !how->density) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    if (!bml_sample__within(how->s_max, DBL_MIN, DBL_MAX) || !bml_sample__is_range(how->v_min, how->v_max)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    while (!status && done < n) {
        bml_sample_rng_fill(u, 2 * BML_SAMPLE__PROPOSALS, rng);
        for (int i = 0; i < BML_SAMPLE__PROPOSALS; i++) {
            double at = u[BML_SAMPLE__PROPOSALS + i];
            double v = bml_sample__between(how->v_min, how->v_max, at);
            try_x[i] = v / (how->s_max * u[i]);
        }
        status = bml_sample__densities(p, try_x, BML_SAMPLE__PROPOSALS, how);
        misses += (double)BML_SAMPLE__PROPOSALS;
        for (int i = 0; !status && i < BML_SAMPLE__PROPOSALS && done < n; i++) {
            double s = how->s_max * u[i];
            double root = sqrt(p[i]);
            double v = try_x[i] * root;
            double slack = 1e-12 * (how->v_max - how->v_min);
            int above = root > how->s_max * (1 + 1e-12);
            if (above || v > how->v_max + slack || v < how->v_min - slack) {
                status = BML_SAMPLE_BAD_ENVELOPE;
            }
            if (s < root) {
                x[done++] = try_x[i];
                misses = 0;
            }
        }
        if (!status && misses > 1e7) {
            status = BML_SAMPLE_NOT_CONVERGED;
        }
    }
    return status;
}

/* >> networks
   One flat array holds a sampler: 20260, 1 (the format), n_dim, n_z, n_hidden, the widths, lower[n_dim], upper[n_dim],
   z_lower[n_z], z_upper[n_z], then for each output k the layers of its network, kernel [out][in] and bias[out]. Inputs
   of network k: 2 v_k - 1, then x_1 .. x_k-1 and Z scaled to [-1,1]. */

static float bml_sample__tanhf(float x) {
    float below;
    float above = bml_sample__tanh_parts(&below, x);
    return above / below;
}

enum { BML_SAMPLE__MAGIC = 20260 };
enum { BML_SAMPLE__MAX_LAYERS = 8 };
enum { BML_SAMPLE__MAX_WIDTH = 128 };
enum { BML_SAMPLE__ROWS = 64 };

struct bml_sample_net {
    float *array;
    ptrdiff_t count;
    int n_dim;
    int n_z;
    int n_hidden;
    int width[BML_SAMPLE__MAX_LAYERS];
    const float *lower; /* these and what follows point into array */
    const float *upper;
    const float *z_lower;
    const float *z_upper;
    const float *weights[BML_SAMPLE_MAX_DIM];
};

/* Numbers in the network of output k. */
static ptrdiff_t bml_sample__subnet_size(const bml_sample_net *net, int k) {
    ptrdiff_t count = 0;
    ptrdiff_t in = 1 + k + net->n_z;
    for (int l = 0; l < net->n_hidden; l++) {
        count += (in + 1) * net->width[l];
        in = net->width[l];
    }
    return count + in + 1;
}

/* *value = array[at] if that is a whole number from low to high. */
static int bml_sample__read_count(int *value, const float *array, ptrdiff_t at, int low, int high) {
    float x = array[at];
    if (!bml_sample__finite((double)x) || !(x >= (float)low && x <= (float)high)) {
        return 0;
    }
    *value = (int)x;
    return (float)*value == x;
}

/* Points into the array; 0 unless it is sound. */
static int bml_sample__net_read(bml_sample_net *net) {
    const float *a = net->array;
    ptrdiff_t at = 5;
    for (ptrdiff_t i = 0; i < net->count; i++) {
        if (!bml_sample__finite((double)a[i])) {
            return 0;
        }
    }
    int k;
    int format;
    if (net->count < 8 || !bml_sample__read_count(&k, a, 0, BML_SAMPLE__MAGIC, BML_SAMPLE__MAGIC) ||
        !bml_sample__read_count(&format, a, 1, 1, 1) ||
        !bml_sample__read_count(&net->n_dim, a, 2, 1, BML_SAMPLE_MAX_DIM) ||
        !bml_sample__read_count(&net->n_z, a, 3, 0, BML_SAMPLE_MAX_Z) ||
        !bml_sample__read_count(&net->n_hidden, a, 4, 1, BML_SAMPLE__MAX_LAYERS)) {
        return 0;
    }
    if (net->count < at + net->n_hidden + 2 * net->n_dim + 2 * net->n_z) {
        return 0;
    }
    for (k = 0; k < net->n_hidden; k++) {
        if (!bml_sample__read_count(&net->width[k], a, at++, 1, BML_SAMPLE__MAX_WIDTH)) {
            return 0;
        }
    }
    net->lower = a + at;
    net->upper = net->lower + net->n_dim;
    net->z_lower = net->upper + net->n_dim;
    net->z_upper = net->z_lower + net->n_z;
    at += 2 * net->n_dim + 2 * net->n_z;
    for (k = 0; k < net->n_dim; k++) {
        net->weights[k] = a + at;
        at += bml_sample__subnet_size(net, k);
        if (at > net->count || !(net->lower[k] < net->upper[k])) {
            return 0;
        }
    }
    for (k = 0; k < net->n_z; k++) {
        if (!(net->z_lower[k] < net->z_upper[k])) {
            return 0;
        }
    }
    return at == net->count;
}

BML_SAMPLE_DEF int(bml_sample_net_create)(bml_sample_net **net, const float *array, size_t count, char *why) {
    bml_sample__say(why, BML_SAMPLE_OK);
    if (net) {
        *net = NULL;
    }
    if (!net || !array) {
        return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "net, array: needed");
    }
    size_t bytes;
    size_t used = 0;
    if (!bml_sample__mul(&bytes, count, sizeof(float), 2)) {
        return bml_sample__say(why, BML_SAMPLE_TOO_LARGE);
    }
    bml_sample__take(NULL, &used, 1, sizeof **net);
    bml_sample_net *made = (bml_sample_net *)bml_sample__alloc(used + bytes / 2);
    if (!made) {
        return bml_sample__say(why, BML_SAMPLE_NO_MEMORY);
    }
    made->array = (float *)((char *)made + used);
    if (count) {
        memcpy(made->array, array, bytes / 2);
    }
    made->count = (ptrdiff_t)count;
    if (!bml_sample__net_read(made)) {
        BML_SAMPLE_FREE(made);
        return bml_sample__say(why, BML_SAMPLE_BAD_ARRAY);
    }
    *net = made;
    return BML_SAMPLE_OK;
}

BML_SAMPLE_DEF void bml_sample_net_free(bml_sample_net *net) {
    BML_SAMPLE_FREE(net);
}

BML_SAMPLE_DEF int bml_sample_net_dims(const bml_sample_net *net, int *n_z) {
    if (n_z) {
        *n_z = net ? net->n_z : 0;
    }
    return net ? net->n_dim : 0;
}

BML_SAMPLE_DEF const float *bml_sample_net_array(const bml_sample_net *net, size_t *count) {
    if (count) {
        *count = net ? (size_t)net->count : 0;
    }
    return net ? net->array : NULL;
}

/* One layer for m rows: to[out][ROWS] from from[in][ROWS], tanh unless last. */
static void bml_sample__layer(float *BML_SAMPLE__RESTRICT to, const float *BML_SAMPLE__RESTRICT from, const float *w,
                              int in, int out, int m, int last) {
    const float *bias = w + in * out;
    int j;
    for (int k = 0; k < out; k++) {
        float *BML_SAMPLE__RESTRICT y = to + k * BML_SAMPLE__ROWS;
        const float *row = w + k * in;
        for (int i = 0; i < m; i++) {
            y[i] = bias[k];
        }
        for (j = 0; j + 3 < in; j += 4) {
            const float *x = from + j * BML_SAMPLE__ROWS;
            const float a0 = row[j];
            const float a1 = row[j + 1];
            const float a2 = row[j + 2];
            const float a3 = row[j + 3];
            for (int i = 0; i < m; i++) {
                float first = a0 * x[i] + a1 * x[i + BML_SAMPLE__ROWS];
                float second = a2 * x[i + 2 * BML_SAMPLE__ROWS] + a3 * x[i + 3 * BML_SAMPLE__ROWS];
                y[i] += first + second;
            }
        }
        for (; j < in; j++) {
            for (int i = 0; i < m; i++) {
                y[i] += row[j] * from[j * BML_SAMPLE__ROWS + i];
            }
        }
        for (int i = 0; !last && i < m; i++) {
            y[i] = bml_sample__tanhf(y[i]);
        }
    }
}

/* x of [lower, upper] on [-1, 1]. */
static float bml_sample__scaled(float x, float lower, float upper) {
    return 2 * (x - lower) / (upper - lower) - 1;
}

/* Output k of m rows: v[m], x[m][n_dim] (filled up to k-1, takes k), z[m][n_z] with stride z_step. */
static void bml_sample__output(const bml_sample_net *net, int k, float *x, const float *v, const float *z, int z_step,
                               int m) {
    float act[2][BML_SAMPLE__MAX_WIDTH * BML_SAMPLE__ROWS];
    const float *w = net->weights[k];
    int d = net->n_dim;
    int in = 1 + k + net->n_z;
    int from = 0;
    for (int i = 0; i < m; i++) {
        float *to = act[0] + i;
        *to = 2 * v[i] - 1;
        for (int j = 0; j < k; j++) {
            float at = x[i * d + j];
            to[(1 + j) * BML_SAMPLE__ROWS] = bml_sample__scaled(at, net->lower[j], net->upper[j]);
        }
        for (int j = 0; j < net->n_z; j++) {
            float at = z[i * z_step + j];
            to[(1 + k + j) * BML_SAMPLE__ROWS] = bml_sample__scaled(at, net->z_lower[j], net->z_upper[j]);
        }
    }
    for (int l = 0; l <= net->n_hidden; l++) {
        int out = l < net->n_hidden ? net->width[l] : 1;
        bml_sample__layer(act[1 - from], act[from], w, in, out, m, l == net->n_hidden);
        w += (in + 1) * out;
        in = out;
        from = 1 - from;
    }
    for (int i = 0; i < m; i++) {
        float y = v[i] + v[i] * (1 - v[i]) * act[from][i];
        y = y > 0 ? y : 0;
        y = y < 1 ? y : 1;
        x[i * d + k] = bml_sample__betweenf(net->lower[k], net->upper[k], y);
    }
}

static int bml_sample__net_arguments(const bml_sample_net *net, const bml_sample_net_call *call) {
    size_t product;
    int bad = 0;
    if (!bml_sample__mul(&product, call->n, (size_t)(net->n_dim + net->n_z + 1), 2 * sizeof(float))) {
        return BML_SAMPLE_TOO_LARGE;
    }
    if (net->n_z && !call->z) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    ptrdiff_t n = (ptrdiff_t)call->n;
    ptrdiff_t rows = call->one_z && n > 0 ? 1 : n;
    for (ptrdiff_t i = 0; i < rows; i++) {
        for (int k = 0; k < net->n_z; k++) {
            float z = call->z[i * net->n_z + k];
            int inside = z >= net->z_lower[k] && z <= net->z_upper[k];
            bad |= !inside || !bml_sample__finite((double)z);
        }
    }
    for (ptrdiff_t i = 0; call->u && i < n * net->n_dim; i++) {
        bad |= !bml_sample__in_unitf(call->u[i]);
    }
    return bad ? BML_SAMPLE_BAD_ARGUMENT : BML_SAMPLE_OK;
}

BML_SAMPLE_DEF int bml_sample_net_draw(const bml_sample_net *net, float *x, const bml_sample_net_call *call,
                                       bml_sample_rng *rng) {
    double u[BML_SAMPLE__ROWS];
    float v[BML_SAMPLE__ROWS];
    if (!net || !x || !call || (!call->u && !rng)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    int status = bml_sample__net_arguments(net, call);
    if (status) return status;
    ptrdiff_t d = net->n_dim;
    ptrdiff_t n = (ptrdiff_t)call->n;
    int z_step = call->one_z ? 0 : net->n_z;
    int m;
    for (ptrdiff_t done = 0; done < n; done += m) {
        const float *z = call->z ? call->z + done * z_step : NULL;
        m = n - done < BML_SAMPLE__ROWS ? (int)(n - done) : BML_SAMPLE__ROWS;
        for (int k = 0; k < d; k++) {
            if (!call->u) {
                bml_sample__fill(u, m, rng);
            }
            for (int i = 0; call->u && i < m; i++) {
                u[i] = (double)call->u[(done + i) * d + k];
            }
            for (int i = 0; i < m; i++) {
                v[i] = (float)bml_sample__v_of(u[i]);
            }
            bml_sample__output(net, k, x + done * d, v, z, z_step, m);
        }
    }
    bml_sample__leave_vectors();
    return BML_SAMPLE_OK;
}

/* Text that counts itself, as snprintf does. */
typedef struct bml_sample__text {
    char *to;
    size_t size;
    size_t length;
} bml_sample__text;

BML_SAMPLE__PRINTF(2, 3) static void bml_sample__add(bml_sample__text *t, const char *format, ...) {
    char piece[128];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    if (n >= (int)sizeof piece) {
        n = (int)sizeof piece - 1;
    }
    for (int i = 0; i < n; i++, t->length++) {
        if (t->length < t->size) {
            t->to[t->length] = piece[i];
        }
    }
}

/* A float with `digits` behind the point, which is one in every locale. */
static void bml_sample__add_float(bml_sample__text *t, float x, int digits) {
    char piece[64];
    snprintf(piece, sizeof piece, "%.*e", digits, (double)x);
    char *point = piece + (piece[0] == '-') + 1; /* what stands between the first digit and the others */
    char *rest = point;
    while (*rest && (*rest < '0' || *rest > '9')) {
        rest++;
    }
    bml_sample__add(t, "%.*s.%s", (int)(point - piece), piece, rest);
}

static size_t bml_sample__end(bml_sample__text *t) {
    if (t->size) {
        t->to[t->length < t->size ? t->length : t->size - 1] = 0;
    }
    return t->length;
}

BML_SAMPLE_DEF size_t bml_sample_net_write(char *text, size_t size, const bml_sample_net *net, const char *name) {
    bml_sample__text t;
    t.to = text;
    t.size = text ? size : 0;
    t.length = 0;
    if (!net || !name) {
        return bml_sample__end(&t);
    }
    bml_sample__add(&t, "static const float %.63s[%lu] = {", name, (unsigned long)net->count);
    for (ptrdiff_t i = 0; i < net->count; i++) { /* 9 digits give back the same float */
        if (i) {
            bml_sample__add(&t, ",");
        }
        bml_sample__add(&t, "%s", i % 7 ? " " : "\n    ");
        bml_sample__add_float(&t, net->array[i], 8);
        bml_sample__add(&t, "f");
    }
    bml_sample__add(&t, "};\n");
    return bml_sample__end(&t);
}

/* One tensor's entry of the JSON header; at = where its data begin, which moves on. */
static void bml_sample__tensor(bml_sample__text *t, const char *name, const char *shape, unsigned long *at,
                               unsigned long numbers) {
    unsigned long end = *at + 4 * numbers;
    bml_sample__add(t, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],", name, shape);
    bml_sample__add(t, "\"data_offsets\":[%lu,%lu]}", *at, end);
    *at = end;
}

static void bml_sample__tensors(bml_sample__text *t, const bml_sample_net *net) {
    char name[48];
    char shape[48];
    unsigned long at = 0;
    for (int k = 0; k < net->n_dim; k++) {
        int in = 1 + k + net->n_z;
        for (int l = 0; l <= net->n_hidden; l++) {
            int out = l < net->n_hidden ? net->width[l] : 1;
            snprintf(name, sizeof name, "x%d.%d.weight", k + 1, l);
            snprintf(shape, sizeof shape, "%d,%d", out, in);
            bml_sample__tensor(t, name, shape, &at, (unsigned long)(in * out));
            snprintf(name, sizeof name, "x%d.%d.bias", k + 1, l);
            snprintf(shape, sizeof shape, "%d", out);
            bml_sample__tensor(t, name, shape, &at, (unsigned long)out);
            in = out;
        }
    }
}

static void bml_sample__range(bml_sample__text *t, const char *name, const float *values, int n) {
    bml_sample__add(t, ",\"%s\":\"", name);
    for (int i = 0; i < n; i++) {
        if (i) {
            bml_sample__add(t, " ");
        }
        bml_sample__add_float(t, values[i], 8);
    }
    bml_sample__add(t, "\"");
}

BML_SAMPLE_DEF size_t bml_sample_net_safetensors(unsigned char *bytes, size_t size, const bml_sample_net *net) {
    bml_sample__text t;
    t.to = (char *)bytes;
    t.size = bytes ? size : 0;
    t.length = 0;
    if (!net) {
        return 0;
    }
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
    while (t.length % 8) {
        bml_sample__add(&t, " ");
    }
    uint64_t header = t.length - 8;
    ptrdiff_t first = net->weights[0] - net->array;
    for (size_t i = 0; i < 8 && i < t.size; i++) {
        bytes[i] = (unsigned char)(header >> 8 * i);
    }
    for (ptrdiff_t i = first; i < net->count; i++) {
        uint32_t bits;
        memcpy(&bits, &net->array[i], 4);
        for (int k = 0; k < 4; k++, t.length++) {
            if (t.length < t.size) {
                bytes[t.length] = (unsigned char)(bits >> 8 * k);
            }
        }
    }
    return t.length;
}

/* >> how good is a sampler?
   Errors of an inverse CDF against the CDF, and divergences of densities. */

/* Jensen-Shannon divergence of a from b, each summing to 1. */
static double bml_sample__js(const double *a, const double *b, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) { /* with d = (a-b)/(a+b), each term is (a+b)/4 [(1+d) ln(1+d) + (1-d) ln(1-d)] */
        double both = a[i] + b[i];
        double d = both > 0 ? (a[i] - b[i]) / both : 0;
        double s = d * d;
        double term = s * (1 + s * (1.0 / 6 + s / 15));
        if (s >= 1) {
            term = 2 * log(2.0);
        } else if (s >= 1e-4) {
            term = (1 + d) * log1p(d) + (1 - d) * log1p(-d);
        }
        sum += 0.25 * both * term;
    }
    return sum;
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
        while (i < n && c[i] < want) {
            i++;
        }
        double c0 = i ? c[i - 1] : 0;
        double u0 = i ? (i - 0.5) / n : 0;
        double c1 = i < n ? c[i] : 1;
        double u1 = i < n ? (i + 0.5) / n : 1;
        double at = (u1 - u0) * (want - c0) / (c1 - c0);
        edge[k] = c1 > c0 ? u0 + at : u1;
        if (k == 0) {
            edge[k] = 0;
        }
        if (k == bins) {
            edge[k] = 1;
        }
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
    if (!quality || !check || !check->inverse || !check->cdf || check->n < 0 || check->bins < 0) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    int n = check->n ? check->n : 100000;
    int bins = check->bins ? check->bins : 200;
    if (n < 2 || bins < 2 || bins > 1 << 24) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    double *u = bml_sample__doubles(3 * (ptrdiff_t)n);
    double *x = bml_sample__doubles(3 * (ptrdiff_t)bins + 1);
    memset(quality, 0, sizeof *quality);
    if (!u || !x) {
        BML_SAMPLE_FREE(u);
        BML_SAMPLE_FREE(x);
        return BML_SAMPLE_NO_MEMORY;
    }
    double *c = u + 2 * n;
    for (int i = 0; i < n; i++) {
        u[i] = (i + 0.5) / n;
    }
    check->inverse(u + n, u, n, check->user);
    check->cdf(c, u + n, n, check->user);
    for (int i = 0; i < n; i++) {
        double error = fabs(c[i] - u[i]);
        if (!(error <= quality->max_error) || !bml_sample__finite(c[i])) {
            quality->max_error = error;
        }
        sum += error;
        if (i && !(u[n + i] >= u[n + i - 1])) {
            quality->falls++;
        }
    }
    quality->mean_error = sum / n;
    bml_sample__sort(c, n);
    quality->js = bml_sample__implied(c, x, n, bins);
    BML_SAMPLE_FREE(u);
    BML_SAMPLE_FREE(x);
    return BML_SAMPLE_OK;
}

BML_SAMPLE_DEF int bml_sample_histogram(bml_sample_divergence *out, const double *counts, const double *prob,
                                        int bins) {
    double total = 0;
    double sum = 0;
    if (!out || !counts || !prob || bins < 2) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    for (int i = 0; i < bins; i++) {
        if (!bml_sample__not_negative(counts[i]) || !bml_sample__in_unit(prob[i])) {
            return BML_SAMPLE_BAD_ARGUMENT;
        }
        total += counts[i];
        sum += prob[i];
    }
    if (!bml_sample__within(total, DBL_MIN, DBL_MAX) || !(fabs(sum - 1) <= 1e-6)) {
        return BML_SAMPLE_BAD_ARGUMENT;
    }
    double *share = bml_sample__doubles(bins);
    if (!share) {
        return BML_SAMPLE_NO_MEMORY;
    }
    for (int i = 0; i < bins; i++) {
        share[i] = counts[i] / total;
    }
    out->js = bml_sample__js(share, prob, bins);
    out->noise = (bins - 1) / (8 * total);
    out->noise_sd = sqrt(2.0 * (bins - 1)) / (8 * total);
    BML_SAMPLE_FREE(share);
    return BML_SAMPLE_OK;
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
    double *x;                /* [conditions][n_dim] */
    double *z;                /* [conditions][n_z] */
    int k;
    int n_conditions;
    bml_nn *nn;
    double lower;
    double width;
    float *rows;    /* the training set: [n][n_in] */
    float *numbers; /* [n] */
    ptrdiff_t n;
    int cancelled;
} bml_sample__lesson;

/* The density of x_k at given x_1..k-1 and Z: later coordinates integrated out by two panels of 16 points each. */
typedef struct bml_sample__marginal {
    const bml_sample_training *training;
    const double *x;
    const double *z;
    int k;
} bml_sample__marginal;

static void bml_sample__marginal_density(double *p, const double *x, const double *unused, int n, void *user) {
    const bml_sample__marginal *m = (const bml_sample__marginal *)user;
    const bml_sample_training *t = m->training;
    double point[1024 * 3];
    double value[1024];
    double at[3][32];
    int rest = t->n_dim - 1 - m->k;
    int total = 1; /* 32 points for each coordinate that is integrated out */
    for (int j = 0; j < rest; j++) {
        total *= 32;
    }
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
            for (d = 0; d < m->k; d++) {
                point[j * t->n_dim + d] = m->x[d];
            }
            point[j * t->n_dim + m->k] = x[i];
            for (d = m->k + 1, a = j; d < t->n_dim; d++, a /= 32) {
                point[j * t->n_dim + d] = at[d][a % 32];
            }
        }
        t->density(value, point, m->z, total, t->user);
        for (int j = 0; j < total; j++) {
            double weight = 1;
            for (d = m->k + 1, a = j; d < t->n_dim; d++, a /= 32) {
                int g = a % 16;
                double quarter = 0.25 * (t->upper[d] - t->lower[d]);
                weight *= bml_sample__gl_weight(g) * quarter;
            }
            sum += bml_sample__not_negative(value[j]) ? weight * value[j] : bml_sample__nan();
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
    config.look = 1;
    config.density = bml_sample__marginal_density;
    config.user = &m;
    config.lower = t->lower[s->k];
    config.upper = t->upper[s->k];
    config.tolerance = 1e-6;
    int status = bml_sample_table_create(&s->table[c], &config, NULL);
    if (status == BML_SAMPLE_NOT_CONVERGED) {
        status = BML_SAMPLE_OK; /* near enough to 1e-6 */
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
    for (int j = 0; j < 60; j++) {
        root = pow(1 + root, 1.0 / (d + 1));
    }
    for (int j = 0; j < d; j++) {
        shift[j] = bml_sample_rng_uniform(rng);
    }
    for (int c = 0; !status && c < s->n_conditions; number++) {
        for (int j = 0; j < d; j++) {
            double at = shift[j] + number * pow(root, -(j + 1.0));
            at -= floor(at);
            at = at * 1.06 - 0.03; /* the ends of the ranges are learnt too */
            at = at > 0 ? at : 0;
            at = at < 1 ? at : 1;
            int parameter = j - s->k;
            if (parameter < 0) {
                s->x[c * t->n_dim + j] = bml_sample__between(t->lower[j], t->upper[j], at);
            } else {
                double lower = t->z_lower[parameter];
                double upper = t->z_upper[parameter];
                s->z[c * t->n_z + parameter] = bml_sample__between(lower, upper, at);
            }
        }
        status = bml_sample__condition(s, c);
        if (!status) {
            c++;
        } else if (status == BML_SAMPLE_ZERO_DENSITY && s->k && ++tries < 10 * s->n_conditions) {
            status = BML_SAMPLE_OK;
        }
    }
    return status;
}

static double bml_sample__train_loss(const bml_nn_batch *batch, void *user) {
    const bml_sample__lesson *s = (const bml_sample__lesson *)user;
    double sum = 0;
    for (int i = 0; i < batch->n; i++) {
        double scaled = (double)batch->x[(ptrdiff_t)i * (ptrdiff_t)batch->n_in];
        double v = (scaled + 1) / 2;
        double u = bml_sample__u_of(v);
        double n = (double)batch->prediction[i];
        double c = 0;
        double p = 0;
        double y = v + v * (1 - v) * n;
        double out = 0; /* outside, the loss goes on with the slope of a uniform density */
        if (y < 0) {
            out = y;
        }
        if (y > 1) {
            out = y - 1;
        }
        double x = s->lower + s->width * (y - out);
        int condition = (int)batch->target[i];
        bml_sample_table_cdf(s->table[condition], &c, &p, &x, 1);
        p *= s->width;
        p = p > 0.05 ? p : 0.05; /* so that no row is stuck where there is no density */
        c += out - u;
        sum += c * c;
        double slope = 2 * c * p * v * (1 - v);
        batch->gradient[i] = (bml_nn_real)(slope / batch->n);
    }
    return sum / batch->n;
}

/* The mean of (C - u)^2 over the whole training set, with the weights as they are. */
static int bml_sample__whole_loss(bml_sample__lesson *s, double *loss) {
    ptrdiff_t n = s->n;
    float *prediction = (float *)bml_sample__alloc(bml_sample__bytes(n, 2 * sizeof(float)));
    int status = BML_SAMPLE_NO_MEMORY;
    if (prediction) {
        bml_nn_batch batch;
        memset(&batch, 0, sizeof batch);
        int predicted = bml_nn_predict(s->nn, NULL, prediction, s->rows, (size_t)n);
        status = predicted ? BML_SAMPLE_TRAINING : BML_SAMPLE_OK;
        if (predicted == BML_NN_NO_MEMORY) {
            status = BML_SAMPLE_NO_MEMORY;
        }
        batch.prediction = prediction;
        batch.gradient = prediction + n;
        batch.target = s->numbers;
        batch.x = s->rows;
        batch.n = (int)n;
        batch.n_in = bml_nn_n_in(s->nn);
        batch.n_out = 1;
        if (!status) {
            *loss = bml_sample__train_loss(&batch, s);
        }
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
        s->cancelled = t->progress(&p, t->progress_user) != 0;
        if (s->cancelled) {
            return 1;
        }
    }
    if (epoch->loss <= t->target) {
        stop = !bml_sample__whole_loss(s, &loss) && loss <= t->target; /* its own is a mean over changing weights */
    }
    return stop;
}

/* The training rows: v evenly spread, shifted from condition to condition. */
static void bml_sample__rows(const bml_sample__lesson *s, float *x, float *y, int points) {
    const bml_sample_training *t = s->training;
    int n_in = 1 + s->k + t->n_z;
    for (int c = 0; c < s->n_conditions; c++) {
        for (int j = 0; j < points; j++) {
            float *row = x + (ptrdiff_t)(c * points + j) * n_in;
            double v = (j + fmod(0.5 + 0.6180339887498949 * c, 1)) / points;
            row[0] = (float)(2 * v - 1);
            for (int k = 0; k < s->k; k++) {
                double width = t->upper[k] - t->lower[k];
                double from_lower = s->x[c * t->n_dim + k] - t->lower[k];
                row[1 + k] = (float)(2 * from_lower / width - 1);
            }
            for (int k = 0; k < t->n_z; k++) {
                double width = t->z_upper[k] - t->z_lower[k];
                double from_lower = s->z[c * t->n_z + k] - t->z_lower[k];
                row[1 + s->k + k] = (float)(2 * from_lower / width - 1);
            }
            y[c * points + j] = (float)c;
        }
    }
}

/* A dense network of tanh units with one output. */
static int bml_sample__build_net(bml_sample__lesson *s, const int *hidden, int n_hidden) {
    bml_nn_layer layers[BML_SAMPLE__MAX_LAYERS + 2];
    bml_nn_config config;
    memset(layers, 0, sizeof layers);
    memset(&config, 0, sizeof config);
    layers[0].kind = BML_NN_INPUT;
    layers[0].features = 1 + s->k + s->training->n_z;
    for (int l = 0; l <= n_hidden; l++) {
        layers[l + 1].kind = BML_NN_DENSE;
        layers[l + 1].units = l < n_hidden ? hidden[l] : 1;
        layers[l + 1].activation = l < n_hidden ? BML_NN_TANH : BML_NN_LINEAR;
    }
    config.layers = layers;
    config.n_layers = n_hidden + 2;
    config.seed = s->training->seed + (uint64_t)s->k;
    return bml_nn_create(&s->nn, &config, NULL) ? BML_SAMPLE_TRAINING : BML_SAMPLE_OK;
}

static int bml_sample__learn(bml_sample__lesson *s, double *loss, const int *hidden, int n_hidden) {
    const bml_sample_training *t = s->training;
    bml_nn_batch_step steps[3];
    bml_nn_training how;
    int n_in = 1 + s->k + t->n_z;
    s->n = (ptrdiff_t)s->n_conditions * t->points;
    s->rows = (float *)bml_sample__alloc(bml_sample__bytes(s->n * (n_in + 1), sizeof(float)));
    if (!s->rows) {
        return BML_SAMPLE_NO_MEMORY;
    }
    s->numbers = s->rows + s->n * n_in;
    bml_sample__rows(s, s->rows, s->numbers, t->points);
    for (int l = 0; l < 3; l++) {
        steps[l].epoch = (l + 1) * t->epochs / 4 + 1;
        steps[l].batch = t->batch << (l + 1);
    }
    memset(&how, 0, sizeof how);
    how.x = s->rows;
    how.y = s->numbers;
    how.n = (size_t)s->n;
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
    int status = bml_sample__build_net(s, hidden, n_hidden);
    if (!status) {
        int trained = bml_nn_train(s->nn, &how, NULL);
        if (s->cancelled) {
            status = BML_SAMPLE_CANCELLED;
        } else if (trained && trained != BML_NN_CANCELLED) {
            status = trained == BML_NN_NO_MEMORY ? BML_SAMPLE_NO_MEMORY
                                                 : BML_SAMPLE_TRAINING; /* stopped at the target: fine */
        }
    }
    if (!status) {
        status = bml_sample__whole_loss(s, loss);
    }
    BML_SAMPLE_FREE(s->rows);
    return status;
}

/* The flat array's weights of output k: bml_nn keeps kernels as [in][out]. */
static void bml_sample__collect(float *to, bml_nn *nn, int n_in, const int *hidden, int n_hidden) {
    const float *from = bml_nn_params(nn);
    int in = n_in;
    for (int l = 0; l <= n_hidden; l++) {
        int out = l < n_hidden ? hidden[l] : 1;
        for (int j = 0; j < out; j++) {
            for (int i = 0; i < in; i++) {
                to[j * in + i] = from[i * out + j];
            }
        }
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
    bml_sample_rng rng = bml_sample__stream(t->seed, (uint32_t)k, 0, BML_SAMPLE__STREAM_CONDITIONS);
    s.training = t;
    s.k = k;
    s.lower = t->lower[k];
    s.width = t->upper[k] - t->lower[k];
    s.n_conditions = k + t->n_z ? t->conditions : 1;
    s.table = (bml_sample_table **)bml_sample__alloc(bml_sample__bytes(s.n_conditions, sizeof *s.table));
    s.x = bml_sample__doubles((ptrdiff_t)s.n_conditions * t->n_dim);
    s.z = bml_sample__doubles((ptrdiff_t)s.n_conditions * (t->n_z + 1));
    if (s.table && s.x && s.z) {
        status = bml_sample__conditions(&s, &rng);
    }
    if (!status) {
        status = bml_sample__learn(&s, loss, t->hidden, t->n_hidden);
    }
    if (!status) {
        bml_sample__collect(to, s.nn, 1 + k + t->n_z, t->hidden, t->n_hidden);
    }
    for (int c = 0; s.table && c < s.n_conditions; c++) {
        bml_sample_table_free(s.table[c]);
    }
    bml_nn_free(s.nn);
    BML_SAMPLE_FREE(s.table);
    BML_SAMPLE_FREE(s.x);
    BML_SAMPLE_FREE(s.z);
    return status;
}

/* Does x_k rise with u at these conditions? */
static int bml_sample__rises_at(const bml_sample_net *net, int k, const float *given, const float *z) {
    float v[BML_SAMPLE__ROWS];
    float x[BML_SAMPLE__ROWS * BML_SAMPLE_MAX_DIM] = {0};
    float last = net->lower[k];
    float slack = 1e-6f * (net->upper[k] - net->lower[k]);
    for (int eighth = 0; eighth < 8; eighth++) {
        for (int i = 0; i < BML_SAMPLE__ROWS; i++) {
            v[i] = (float)(eighth * BML_SAMPLE__ROWS + i) / (8 * BML_SAMPLE__ROWS - 1);
            memcpy(x + i * net->n_dim, given, bml_sample__bytes(k, sizeof *x));
        }
        bml_sample__output(net, k, x, v, z, 0, BML_SAMPLE__ROWS);
        for (int i = 0; i < BML_SAMPLE__ROWS; i++) {
            float now = x[i * net->n_dim + k];
            if (!bml_sample__finite((double)now) || !(now >= last - slack)) {
                return 0;
            }
            last = now;
        }
    }
    return 1;
}

/* The same at conditions all over the ranges. */
static int bml_sample__rises(const bml_sample_net *net, uint64_t seed) {
    float given[BML_SAMPLE_MAX_DIM] = {0};
    float z[BML_SAMPLE_MAX_Z + 1];
    bml_sample_rng rng = bml_sample__stream(seed, 0, 0, BML_SAMPLE__STREAM_RISES);
    for (int k = 0; k < net->n_dim; k++) {
        for (int trial = 0; trial < 200; trial++) {
            for (int j = 0; j < k; j++) {
                float at = (float)bml_sample_rng_uniform(&rng);
                given[j] = bml_sample__betweenf(net->lower[j], net->upper[j], at);
            }
            for (int j = 0; j < net->n_z; j++) {
                float at = (float)bml_sample_rng_uniform(&rng);
                z[j] = bml_sample__betweenf(net->z_lower[j], net->z_upper[j], at);
            }
            if (!bml_sample__rises_at(net, k, given, z)) {
                return 0;
            }
        }
    }
    return 1;
}

static int bml_sample__train_rules(bml_sample_training *t, char *why) {
    static const int preset[3] = {32, 32, 32};
    if (!t->hidden) {
        t->hidden = preset;
        t->n_hidden = 3;
    }
    if (t->target == 0) {
        t->target = 1e-6;
    }
    if (!t->conditions) {
        t->conditions = 256;
    }
    if (!t->points) {
        t->points = 64;
    }
    if (!t->epochs) {
        t->epochs = 2000;
    }
    if (!t->batch) {
        t->batch = 32;
    }
    if (t->learning_rate == 0) {
        t->learning_rate = 1e-2;
    }
    if (!t->density || !t->lower || !t->upper) {
        return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "density, lower, upper: needed");
    }
    bml_sample__rule rule[] = {
        {"n_dim", (double)t->n_dim, 1, 3},
        {"n_z", (double)t->n_z, 0, BML_SAMPLE_MAX_Z},
        {"n_hidden", (double)t->n_hidden, 1, BML_SAMPLE__MAX_LAYERS},
        {"target", t->target, 1e-300, 1},
        {"conditions", (double)t->conditions, 1, 1 << 20},
        {"points", (double)t->points, 1, 1 << 10},
        {"epochs", (double)t->epochs, 1, 1 << 28},
        {"batch", (double)t->batch, 1, 1 << 24},
        {"learning_rate", t->learning_rate, 1e-300, 1},
        {"threads", (double)t->threads, 0, 1 << 20},
    };
    int status = bml_sample__rules(why, rule, (int)(sizeof rule / sizeof *rule));
    if (!status && t->n_z && (!t->z_lower || !t->z_upper)) {
        status = bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "z_lower, z_upper: needed");
    }
    for (int k = 0; !status && k < t->n_dim; k++) {
        status = bml_sample__check_range(why, "lower, upper", t->lower[k], t->upper[k]);
    }
    for (int k = 0; !status && k < t->n_z; k++) {
        status = bml_sample__check_range(why, "z_lower, z_upper", t->z_lower[k], t->z_upper[k]);
    }
    for (int k = 0; !status && k < t->n_hidden; k++) {
        bml_sample__rule width = {"hidden", (double)t->hidden[k], 1, BML_SAMPLE__MAX_WIDTH};
        status = bml_sample__rules(why, &width, 1);
    }
    return status;
}

/* The head of the flat array; returns its length. */
static ptrdiff_t bml_sample__head(float *to, const bml_sample_training *t) {
    ptrdiff_t at = 0;
    to[at++] = BML_SAMPLE__MAGIC;
    to[at++] = 1;
    to[at++] = (float)t->n_dim;
    to[at++] = (float)t->n_z;
    to[at++] = (float)t->n_hidden;
    for (int k = 0; k < t->n_hidden; k++) {
        to[at++] = (float)t->hidden[k];
    }
    for (int k = 0; k < t->n_dim; k++) {
        to[at++] = (float)t->lower[k];
    }
    for (int k = 0; k < t->n_dim; k++) {
        to[at++] = (float)t->upper[k];
    }
    for (int k = 0; k < t->n_z; k++) {
        to[at++] = (float)t->z_lower[k];
    }
    for (int k = 0; k < t->n_z; k++) {
        to[at++] = (float)t->z_upper[k];
    }
    return at;
}

/* The weights of all outputs, one after the other; *worst of their losses. */
static int bml_sample__train_all(float *array, double *worst, const bml_sample_training *t,
                                 const bml_sample_net *shape) {
    ptrdiff_t at = bml_sample__head(array, t);
    int status = BML_SAMPLE_OK;
    for (int k = 0; !status && k < t->n_dim; k++) {
        double one = 0;
        status = bml_sample__train_output(array + at, &one, t, k);
        at += bml_sample__subnet_size(shape, k);
        if (!(one <= *worst)) {
            *worst = one;
        }
    }
    return status;
}

BML_SAMPLE_DEF int(bml_sample_net_train)(bml_sample_net **net, double *loss, const bml_sample_training *training,
                                         char *why) {
    bml_sample__say(why, BML_SAMPLE_OK);
    if (net) {
        *net = NULL;
    }
    if (!net || !training) {
        return bml_sample__fail(why, BML_SAMPLE_BAD_ARGUMENT, "net, training: needed");
    }
    bml_sample_training t = *training;
    int status = bml_sample__train_rules(&t, why);
    if (status) return status;
    bml_sample_net shape;
    memset(&shape, 0, sizeof shape);
    shape.n_z = t.n_z;
    shape.n_hidden = t.n_hidden;
    memcpy(shape.width, t.hidden, bml_sample__bytes(t.n_hidden, sizeof(int)));
    ptrdiff_t count = 5 + t.n_hidden + 2 * t.n_dim + 2 * t.n_z;
    for (int k = 0; k < t.n_dim; k++) {
        count += bml_sample__subnet_size(&shape, k);
    }
    float *array = (float *)bml_sample__alloc(bml_sample__bytes(count, sizeof(float)));
    if (!array) {
        return bml_sample__say(why, BML_SAMPLE_NO_MEMORY);
    }
    double worst = 0;
    status = bml_sample__train_all(array, &worst, &t, &shape);
    if (loss) {
        *loss = worst;
    }
    if (!status) {
        status = bml_sample_net_create(net, array, (size_t)count, NULL);
    }
    BML_SAMPLE_FREE(array);
    if (status) {
        return bml_sample__say(why, status);
    }
    if (!bml_sample__rises(*net, t.seed)) {
        return bml_sample__say(why, BML_SAMPLE_NOT_MONOTONE);
    }
    if (worst <= t.target) {
        return BML_SAMPLE_OK;
    }
    return bml_sample__fail(why, BML_SAMPLE_NOT_CONVERGED, "loss %.3g, target %.3g", worst, t.target);
}
#endif /* BML_SAMPLE_TRAIN */

#undef BML_SAMPLE__PI
#undef BML_SAMPLE__RESTRICT
#undef BML_SAMPLE__PRINTF
#undef BML_SAMPLE__STRIDES
#endif /* BML_SAMPLE_IMPLEMENTATION */

/* HISTORY
   0.1.0  Compton by network, table and inversion; tables, grids, alias, rejection, networks; sources of electrons and
          photons
   0.2.0  why of every create; the generator of all headers; right under fast mathematics; inline functions, thermal
          steps, polarisation, strong fields, cells, quintic tables; exact collisions below gamma = 20

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
