/* bml_ssc.h: spectra of one-zone synchrotron self-Compton (SSC) sources, in C99, in well under a millisecond each.

   A blob of radius R with a tangled magnetic field B is fed with relativistic electrons. They cool by synchrotron and
   inverse Compton emission and escape; the header follows electrons and photons in time and gives the spectrum that an
   observer sees. It is meant to be called a million times by a sampler and to be read by a student.

   In ONE source file:           #define BML_SSC_IMPLEMENTATION
                                 #include "bml_ssc.h"
   everywhere else just:         #include "bml_ssc.h"             and link with -lm

   A complete program, a source at two frequencies:

       #include <stdio.h>
       #define BML_SSC_IMPLEMENTATION
       #include "bml_ssc.h"
       int main(void) {
           bml_ssc *tables;                                        // made once, read by all threads
           bml_ssc_blob *blob = NULL;                              // one per thread
           char why[BML_SSC_MESSAGE];
           bml_ssc_source source = {.R = 1e16, .B = 0.1, .gamma_min = 1e3, .gamma_max = 1e6, .L_e = 1e42, .p = 2.2};
           bml_ssc_observer observer = {.redshift = 0.1, .delta = 20};
           double nu[2] = {1e17, 1e25}, nuFnu[2];                  // [Hz], [erg cm^-2 s^-1]
           int status = bml_ssc_create(&tables, NULL, why);
           if (!status) status = bml_ssc_blob_create(&blob, tables, why);
           if (!status) status = bml_ssc_solve(blob, &source);
           if (!status) status = bml_ssc_sed(nuFnu, nu, 2, blob, &observer, BML_SSC_TOTAL);
           if (status) printf("%s: %s\n", bml_ssc_strerror(status), blob ? bml_ssc_message(blob) : why);
           else printf("nuFnu at 10^17 Hz: %.3g, at 10^25 Hz: %.3g erg/cm2/s\n", nuFnu[0], nuFnu[1]);
           bml_ssc_blob_free(blob);
           bml_ssc_free(tables);
           return status != 0;
       }

   It refuses: a source without R, B, gamma_min, gamma_max or power (a struct of zeros is no source); parameters that
   are NaN, infinite or out of the stated range; gamma_max <= gamma_min; to extrapolate a table of the
   extragalactic background light (EBL); to call a solution converged that is not. It does no hadrons (but see exchange)
   and no spatial structure. It has no input or output, no globals, no clock, and threads in bml_ssc_batch alone: the
   same source is the same spectrum, to the bit, on any number of them. */

/* ---- Setup, use, shutdown ---------------------------------------------------------------------------------------

   1. bml_ssc_create(&tables, &config, why): tabulates the kernels (about 0.1 s). Constant afterwards; threads share it.
   2. bml_ssc_blob_create(&blob, tables, why): the workspace and state of one source. One per thread, used again and
      again.
   3. bml_ssc_solve(blob, &source): from an empty blob to source.t_end. Or by hand, for light curves and flares:
          bml_ssc_begin(blob, &source);
          for (t = 0.5; t < 20; t += 0.5) { bml_ssc_advance(blob, t); bml_ssc_sed(...); }
      with config.time_step at 0.02 or so where an undriven source is watched before t = 5: the default is made for
      spectra at t = 5 and after (driven sources have a shorter one); or, for the stationary source, bml_ssc_begin and
      bml_ssc_steady.
   4. Read the blob as often as you like: bml_ssc_sed (observer), bml_ssc_spectrum (comoving), bml_ssc_electrons,
      bml_ssc_energy (the balance), bml_ssc_derive (peaks, powers, U_e/U_B).
   5. What is not of the blob: bml_ssc_thermal_sed (disc, torus), bml_ssc_host_sed, bml_ssc_field_depth (absorption
      between the blob and us), bml_ssc_ebl_depth.
   6. bml_ssc_log_likelihood compares a SED with data points and upper limits.
   7. bml_ssc_blob_free, bml_ssc_free.
   Many sources at once, over all cores: bml_ssc_batch.

   ---- Options ----------------------------------------------------------------------------------------------------

   BML_SSC_IMPLEMENTATION          in one file: compile the functions too
   BML_SSC_STATIC                  make all functions static (several private copies in one program); compiles a tenth
                                   faster
   BML_SSC_IMPLEMENTED             defined where the functions exist already; define it yourself (-DBML_SSC_IMPLEMENTED)
                                   when you link them from a library
   BML_SSC_MALLOC(n), BML_SSC_FREE(p)   own allocator: both or none
   -fopenmp                        lets bml_ssc_batch use threads; results do not depend on how many
   Compile with -O3 -march=native -fno-math-errno for the speed quoted in the README. Never -ffast-math: the compiler
   would drop the tests for NaN, so the implementation stops with #error.

   ---- Physics ----------------------------------------------------------------------------------------------------

   Units inside: time in R/c; photon energy x = h nu/(m_e c^2); electron energy gamma; N(gamma) and n(x) are densities
   times sigma_T R, so both are pure numbers; b = B/B_crit with B_crit = m_e^2 c^3/(e hbar) = 4.414e13 G.

     dN/dt = Q(gamma) - N/f + d(|gamma_dot| N)/dgamma           f = electron_escape, in units of R/c            (1)
     dn/dt = q_syn + q_ic - n (1/s + kappa)                     s: mean stay of a photon [R/c], see (14)         (2)
     Q     = Q0 gamma^-p,  gamma_min < gamma < gamma_max,  integral gamma Q dgamma = 3 l_e                       (3)
     l_e   = sigma_T L_e/(4 pi R m_e c^3)   ("compactness"; L_e counts gamma m_e c^2 of every electron)          (4)
     |gamma_dot|_syn = (4/3) l_B gamma^2,   l_B = sigma_T R B^2/(8 pi m_e c^2)                                   (5)
     p(x, gamma) = (4/3) l_B gamma^2 S(x/x_c)/x_c,   x_c = (3/2) b gamma^2,   integral S = 1                     (6)
         S: averaged over pitch angles (Crusius & Schlickeiser 1986, A&A 164, L16; in Bessel functions as in Ghisellini,
         Guilbert & Svensson 1988, ApJ 334, L5), or at 90 degrees: S(y) ~ y int_y^inf K_5/3.
     q_ic(x1) = int dgamma N (3/4) gamma^-2 int dx n(x)/x f(q, G)          (Jones 1968, Phys. Rev. 167, 1159)    (7)
         G = 4 gamma x,  E = x1/gamma,  q = E/(G (1 - E)) <= 1
         f = 2 q ln q + (1 + 2q)(1 - q) + (1 - q)(G q)^2/(2 (1 + G q))
     |gamma_dot|_ic = (3/4) int dx n(x)/x int f E dE,   the energy that (7) puts into photons, at all G          (8)
     kappa_ssa(x) = -lambda_C^3/(8 pi x^2 sigma_T R) int p gamma^2 d(N/gamma^2)/dgamma,   lambda_C = h/(m_e c)   (9)
         with its heating (Ghisellini, Guilbert & Svensson 1988, ApJ 334, L5): dN/dt += d/dgamma[gamma^2 D
         d(N/gamma^2)/dgamma],  D = lambda_C^3/(8 pi sigma_T R) int p n dx/x, so that electrons gain what photons lose
     kappa_gg(x) = int n(x') <sigma (1 - mu)>/sigma_T dx', averaged over angles (Gould & Schreder 1967, PR 155, 1404);
         each absorbed photon makes a pair, both of gamma = x/2                                                  (10)
     expanding blob: R = R0 (1 + beta t), B = B0 (R/R0)^-m, |gamma_dot|_ad = gamma dln(R)/dt; N and n then count
         particles of the whole blob, and targets are diluted by (R0/R)^3                                        (11)
     nu L_nu = x^2 n 4 pi R m_e c^3/(3 sigma_T s): the photons in the blob leave it in s R/c                     (12)
     nu_obs = delta nu/(1 + z),   nu F_nu = delta^4 nu L_nu exp(-tau)/(4 pi d_L^2)                                (13)

   Escape of photons. The field has two conventions, photon_escape = BML_SSC_RATE and BML_SSC_SPHERE:
     RATE (ATHEvA, LeHaMoC; the default)     s = 1 at all x
     SPHERE (agnpy, JetSeT)                  1/s = kappa P/(1 - P): 4/3 where thin, 3/4 where thick               (14)
         P(tau) = 3/(4 tau) [1 - 1/(2 tau^2) + (1/tau + 1/(2 tau^2)) e^(-2 tau)],  tau = kappa (in units of 1/R)
         is the chance to leave a sphere that shines and absorbs uniformly (Osterbrock & Ferland 2006, app. 2).
     With the same electrons SPHERE gives SSC lower by 0.125 dex, and a thick source fainter by 0.125 dex, since the
     photons' density is 3/4 of RATE's; a fit shifts B by 15 %. Compare with a code in its own convention.

   Fields from outside. Grey or black bodies, power laws and tables are given in the blob's frame, isotropic there. By
   geometry (Dermer & Menon 2009, High Energy Radiation from Black Holes, ch. 6; Finke 2016, ApJ 830, 94), seen from the
   distance r on the axis, dimensions of the black hole's frame; mu: cosine between the photons' way and the jet:
     shell (broad lines)   u = xi L/(8 pi c) int dmu_R/x^2,  x^2 = R^2 + r^2 - 2 r R mu_R,  mu = (r - R mu_R)/x   (15)
                           bml_ssc_broad_lines: 25 lines of a mean quasar, each on the shell of its own radius
     ring (dusty torus)    u = xi L/(4 pi c x^2),  x^2 = R^2 + r^2,  mu = r/x                                     (16)
     disc                  du/dOmega = 3 G M mdot/(16 pi^2 c R^3 mu) [1 - (R_in/R)^(1/2)],  mu as (16)            (17)
                           k T from that flux; elements shine alike in all directions, so that far away u = L/(4 pi r^2
                           c), half of what a Lambertian disc sends along its axis: give twice its L_disc
     CMB                   u = a [2.72548 K (1 + z)]^4, isotropic in the black hole's frame                       (18)
     in the blob           x' = D x,  u' = D^2 u,  D = Gamma (1 - beta mu),  mu' = (mu - beta)/(1 - beta mu)       (19)
     Electrons are isotropic in the blob, so their losses are those in the mean density over all directions: (8),
     whatever the field's pattern. What an observer sees is not: an electron that shines at him runs towards him and
     meets photons at the angle psi. Then (7) holds with f_psi/2 for f and G = 2 gamma x (1 - cos psi) (head-on
     approximation, gamma >> 1: Dermer et al. 2009, ApJ 692, 32, eqs. 26, 27):
         f_psi = 2 - 4 q (1 - q) + (G q)^2/(1 + G q)                                                              (20)
     whose mean over isotropic photons is f. cos psi follows from mu' and delta: the observer's direction in the blob is
     mu_s' = (delta/Gamma - 1)/beta. For a shell around the blob and delta = Gamma, the isotropic kernel (7) gives 1/3
     more in Thomson scattering; for photons from behind (disc, shell or ring at r >> R), (1 - cos psi)^2 = 1 at delta =
     Gamma but 0 for an observer on the axis. external.isotropic takes (7) in place of (20), as simple models do.
     tau of photons on their way out along the axis: int dl int dn (1 - mu) sigma_gg(x x1 (1 - mu)/2)             (21)

   What is approximated: one zone, isotropic and homogeneous; electron and photon escape is a rate, not a crossing (see
   light_travel for what an observer sees of a crossing); (7) holds for gamma >> 1 and leaves out down-scattering below
   x; scattered photons are not taken out of the target field (Thomson depth << 1); photons lose no energy by expansion;
   pairs share the photon's energy equally, which misplaces the more energetic one by a factor of two at most;
   absorption inside the blob averages outside fields over directions. When NOT to use it: sources optically thick to
   scattering, hadronic models without an exchange hook, jets whose cooling length is shorter than R. RATE: not to
   compare with agnpy or JetSeT. (15)-(19): not where the field changes across the blob (R > |r - R_shell|), nor off the
   jet's axis. (20): not for gamma < 10. (21): the blob's path is the axis, right for lines of sight within 1/Gamma.

   Two grids:
   BML_SSC_CONVERGED  finite volumes in log gamma whose edges include gamma_max, exponentially fitted in the cooling
       depth of a cell (second order, positive, exactly conservative in number), kernels averaged over cells, BDF2 in
       time. At the default spacing of 0.1 dex, halving it moves spectra by less than 0.01 dex (median; tests).
   BML_SSC_ATHENA     reproduces the published spectra of the code ATHEvA (Mastichiadis & Kirk 1995, A&A 295, 613;
       Tzavellas et al. 2024), coarse grid and all: gamma_i = 10^(0.1 i), x_j = b 10^(0.2 j), upwind, sin(alpha) = 1,
       Compton losses cut sharply at x < 3/(4 gamma). Use it to compare with that code, not to measure a source. */

#ifndef BML_SSC_H
#define BML_SSC_H
#define BML_SSC_VERSION 200 /* 0.2.0: 10000 major + 100 minor + patch */
#include <stddef.h>

#ifdef BML_SSC_STATIC
#if defined(__GNUC__) || defined(__clang__)
#define BML_SSC_DEF __attribute__((unused)) static
#else
#define BML_SSC_DEF static
#endif
#else
#define BML_SSC_DEF extern
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- API: status ------------------------------------------------------------------------------------------------ */
/* name, value, message. Everything but OK is negative; -3 is TOO_LARGE in other headers, which nothing is here. */
#define BML_SSC_STATUS_TABLE(X)                                                                             \
    X(BML_SSC_OK, 0, "no error")                                                                            \
    X(BML_SSC_BAD_ARGUMENT, -1, "a pointer is NULL, a count not positive, or nothing begun in the blob")    \
    X(BML_SSC_NO_MEMORY, -2, "out of memory")                                                               \
    X(BML_SSC_CONFIG, -4, "configuration: unknown grid, or spacing or time step outside its range")         \
    X(BML_SSC_PARAMETER, -5, "a parameter is missing, NaN, infinite or outside its range")                  \
    X(BML_SSC_ORDER, -6, "gamma_max must be above gamma_min")                                               \
    X(BML_SSC_SPECTRUM, -7, "electron or external spectrum: bad shape, or no energy in the allowed range")  \
    X(BML_SSC_TIME, -8, "time must grow, from bml_ssc_begin on")                                            \
    X(BML_SSC_OUTSIDE_TABLE, -9, "redshift or frequency outside the EBL table")                             \
    X(BML_SSC_NOT_CONVERGED, -10, "not converged: the best estimate is there")                              \
    X(BML_SSC_POINT, -11, "a data point is not positive and finite, or has no error")                       \
    X(BML_SSC_CANCELLED, -12, "the exchange hook asked to stop")                                            \
    X(BML_SSC_BAD_OBSERVER, -13, "observer: redshift in (0, 1e4), or 0 with a distance; delta in (0, 1e6)") \
    X(BML_SSC_BAD_FREQUENCY, -14, "a frequency is not positive and finite")                                 \
    X(BML_SSC_BAD_COMPONENT, -15, "no such component of the spectrum")

#define BML_SSC__ENUM(name, value, text) name = (value),
typedef enum bml_ssc_status { BML_SSC_STATUS_TABLE(BML_SSC__ENUM) BML_SSC__STATUS_END = 1 } bml_ssc_status;
#undef BML_SSC__ENUM

enum { BML_SSC_MESSAGE = 512 }; /* bytes of a message, NUL included */

/* The message of a status; "unknown status" for other numbers. Static text. */
BML_SSC_DEF const char *bml_ssc_strerror(int status);

/* ---- API: tables and blobs -------------------------------------------------------------------------------------- */

typedef enum bml_ssc_grid { BML_SSC_CONVERGED, BML_SSC_ATHENA } bml_ssc_grid;
typedef enum bml_ssc_pitch { BML_SSC_PITCH_AVERAGED, BML_SSC_PITCH_90 } bml_ssc_pitch;

typedef struct bml_ssc_config {
    bml_ssc_grid grid;   /* 0 = BML_SSC_CONVERGED */
    double spacing;      /* of both grids [dex], 0.01 ... 0.25; 0 = 0.1. ATHENA: 0.1 only */
    double time_step;    /* longest step [R/c], 0.001 ... 1; 0 = 5/12, for t >= 5, and 1/24 for sources with a drive or
                            expansion. Light curves without a drive: 0.01 ... 0.05 */
    bml_ssc_pitch pitch; /* synchrotron kernel of the converged grid; ATHENA is always at 90 degrees */
    int light_travel; /* 1: what bml_ssc_sed and bml_ssc_derive see is smeared by the light's way across the blob: the
                            emission of the last 2 R/c, each slice of the sphere by its area (Chiaberge & Ghisellini
                            1999, MNRAS 306, 551), in place of photons that leave at a rate; the same for a steady
                            source */
} bml_ssc_config;

typedef struct bml_ssc bml_ssc;           /* the kernel tables: constant, shared by threads */
typedef struct bml_ssc_blob bml_ssc_blob; /* one source: state and workspace, one per thread */

/* Tabulate the kernels. config may be NULL (all defaults). *out is owned by the caller and freed by bml_ssc_free, and
   is NULL on error. why [BML_SSC_MESSAGE], or NULL: the reason of a failure, "" otherwise.
   Errors: BAD_ARGUMENT, CONFIG, NO_MEMORY. */
BML_SSC_DEF int bml_ssc_create(bml_ssc **out, const bml_ssc_config *config, char *why);
BML_SSC_DEF void bml_ssc_free(bml_ssc *tables); /* NULL is fine */

/* Makes a blob that works with the tables, which must outlive it. *out and why as above. Errors: BAD_ARGUMENT,
   NO_MEMORY. */
BML_SSC_DEF int bml_ssc_blob_create(bml_ssc_blob **out, const bml_ssc *tables, char *why);
BML_SSC_DEF void bml_ssc_blob_free(bml_ssc_blob *blob); /* NULL is fine */

/* ---- API: fields from outside ----------------------------------------------------------------------------------- */

typedef enum bml_ssc_field {
    BML_SSC_BLACK_BODY,      /* temperature; grey when energy_density is given too */
    BML_SSC_FIELD_POWER_LAW, /* n ~ x^-index between x_min and x_max */
    BML_SSC_FIELD_TABLE,     /* table_n at table_x, log-log interpolation, zero outside */
    BML_SSC_FIELD_SHELL,     /* (15) broad-line region: L_disc, fraction, radius; lines, or Lyman alpha */
    BML_SSC_FIELD_RING,      /* (16) dusty torus: L_disc, fraction, radius, temperature */
    BML_SSC_FIELD_DISC,      /* (17) L_disc, M_bh; efficiency, r_in, r_out */
    BML_SSC_FIELD_CMB        /* (18) redshift */
} bml_ssc_field;

/* A photon field from outside. The first three kinds: isotropic in the frame of the blob, where their members are
   measured. The others: in the frame of the black hole; the source says where the blob is (distance, Gamma, delta). */
typedef struct bml_ssc_external {
    bml_ssc_field kind;
    double energy_density; /* [erg cm^-3] below 1e30; 0 = a T^4 for BLACK_BODY, an error for POWER_LAW and TABLE */
    double temperature;    /* [K] BLACK_BODY: below 1e12; RING: 1e-3 ... 1e12 */
    double x_min;          /* POWER_LAW: lowest energy [m_e c^2], > 0 */
    double x_max;          /* POWER_LAW: highest energy [m_e c^2], > x_min, < 1e10 */
    double index;          /* POWER_LAW: photon index, -10 ... 10 */
    const double *table_x; /* [n_table] TABLE: energies [m_e c^2], growing; SHELL: those of the lines, 1e-12 ... 1 */
    const double *table_n; /* [n_table] >= 0, in any unit: TABLE normalises it to energy_density; SHELL: luminosities */
    int n_table;           /* SHELL: 0 = Lyman alpha alone; at most 16 lines */
    double L_disc;         /* luminosity of the disc [erg s^-1], 1e30 ... 1e50 */
    double fraction;       /* of it that shell or ring send on, 1e-10 ... 1 */
    double radius;         /* of shell or ring [cm], 1e12 ... 1e24 */
    double M_bh;           /* mass of the black hole [solar masses], 1 ... 1e12 */
    double efficiency;     /* L_disc/(mdot c^2); 0 = 1/12 */
    double r_in;           /* inner edge of the disc [G M/c^2]; 0 = 6 */
    double r_out;          /* outer edge [G M/c^2]; 0 = 1000 */
    double redshift;       /* CMB: of the source; 0 ... 1e4 */
    int monochromatic;     /* RING, DISC, CMB: all photons at 2.7 kT, as agnpy does; 0 = Planck's law */
    int isotropic;         /* geometric kinds: the isotropic kernel (7), not (20), for the observer too */
} bml_ssc_external;

/* ---- API: the source -------------------------------------------------------------------------------------------- */

typedef enum bml_ssc_injection {
    BML_SSC_POWER_LAW,    /* gamma^-p */
    BML_SSC_BROKEN,       /* gamma^-p below gamma_break, gamma^-p2 above, continuous */
    BML_SSC_LOG_PARABOLA, /* (gamma/gamma_break)^-(p + curvature log10(gamma/gamma_break)) */
    BML_SSC_CUTOFF,       /* gamma^-p exp(-gamma/gamma_break) */
    BML_SSC_TABLE         /* table_q at table_gamma, log-log interpolation, zero outside */
} bml_ssc_injection;

typedef enum bml_ssc_absorption { BML_SSC_SSA_OFF, BML_SSC_SSA, BML_SSC_SSA_HEATING } bml_ssc_absorption;
typedef enum bml_ssc_escape { BML_SSC_RATE, BML_SSC_SPHERE } bml_ssc_escape; /* see (14) */

/* What may change with time, as multiples of the source's own values; on entry 1, R^-m and 1 + beta t. The callback is
   called by begin, advance, sed and derive, in a batch from several threads: it must depend on t and user alone.
   injection and B are averaged over each step, so that a jump inside or at the end of one counts for its share. */
typedef struct bml_ssc_drive {
    double injection; /* power of the electrons injected */
    double B;         /* magnetic field */
    double R;         /* radius */
} bml_ssc_drive;

/* What another code, protons for instance, sees of the blob and adds to it: see exchange. All densities are times
   sigma_T R as everywhere, and count the whole blob: multiply by dilution for what particles meet. */
typedef struct bml_ssc_exchange {
    double t;              /* end of the step [R/c] */
    double dt;             /* its length [R/c] */
    int pass;              /* 0, 1, ... within a step; 0: the step before has been accepted */
    int n_electrons;       /* size of the electrons' grid, which stays as it is from begin on */
    int n_photons;         /* and of the photons' */
    double R;              /* radius now [cm] */
    double B;              /* magnetic field now [G] */
    double dilution;       /* (R0/R)^3 */
    const double *gamma;   /* [n_electrons] nodes */
    const double *width;   /* [n_electrons] widths of the cells in gamma */
    const double *N;       /* [n_electrons] per gamma, of the pass before */
    const double *x;       /* [n_photons] nodes */
    const double *n;       /* [n_photons] photons per x */
    const double *outside; /* [n_photons] photons of fields from outside, per x; not diluted */
    double *electrons;     /* [n_electrons] add here: electrons and positrons made, per gamma and R/c */
    double *photons;       /* [n_photons] add here: photons made, per x and R/c */
    double *absorption;    /* [n_photons] add here: rate of absorption, per R/c */
} bml_ssc_exchange;

typedef struct bml_ssc_source {
    double R;               /* radius [cm], 1e8 ... 1e22; required */
    double B;               /* magnetic field [G], 1e-8 ... 1e6; required */
    double gamma_min;       /* lowest injected Lorentz factor, 1 ... 1e10; required */
    double gamma_max;       /* highest, > gamma_min, <= 1e10 (1e15 with gamma_top); required */
    double compactness;     /* injection compactness l_e (4), 1e-20 ... 1e3; or */
    double L_e;             /* injected power, blob frame [erg s^-1]: one of the two is required, both are an error */
    double p;               /* index of the injected electrons, -10 ... 10; 0 means 0 */
    double t_end;           /* bml_ssc_solve stops here [R/c], < 1e6; 0 = 5 */
    double electron_escape; /* escape time of electrons [R/c], 1e-3 ... 1e6; 0 = 1 */
    bml_ssc_escape photon_escape; /* 0 = BML_SSC_RATE */

    bml_ssc_injection injection; /* shape of the injection; 0 = power law */
    double gamma_break;          /* BROKEN, LOG_PARABOLA, CUTOFF: see there, 1e-3 ... 1e12; required by these */
    double p2;                   /* BROKEN: index above gamma_break, -10 ... 10; 0 means 0 */
    double curvature;            /* LOG_PARABOLA: -10 ... 10; 0 means 0 */
    const double *table_gamma;   /* [n_table] TABLE: growing */
    const double *table_q;       /* [n_table] TABLE: electrons per gamma, >= 0, in any unit */
    int n_table;

    bml_ssc_absorption self_absorption; /* 0 = off */
    int pair_production;                /* photon-photon absorption with pair injection; 0 = off */
    const bml_ssc_external *external;   /* [n_external] photon fields from outside */
    int n_external;
    double distance;        /* of the blob from the black hole [cm], 1e10 ... 1e26; SHELL, RING, DISC require it */
    double Gamma;           /* bulk Lorentz factor, 1 ... 1e4; the geometric fields require it */
    double delta;           /* Doppler factor to the observer, for (20); 0 = Gamma */
    double expansion_speed; /* beta of (11) [c], 0 ... 1 */
    double field_index;     /* m of (11), -10 ... 10; photons are followed from 0.1 b of the first B on */
    double gamma_top;       /* top of both grids, >= gamma_max, <= 1e15, for hooks that inject beyond; 0 = gamma_max */
    void (*drive)(bml_ssc_drive *now, double t, void *user); /* NULL, or sets *now for time t [R/c]; all > 0 but
                                                                 injection, which may be 0; R must not shrink */
    int (*exchange)(bml_ssc_exchange *now, void *user);      /* NULL, or called in each pass; not 0: stop, CANCELLED */
    void *user;                                              /* for both */
} bml_ssc_source;

/* Sets the six parameters from the row that the field's tables use; everything else of *source is left as it is.
   row [6]: log10 R [cm], log10 B [G], log10 gamma_min, log10 gamma_max, log10 compactness, p. */
BML_SSC_DEF void bml_ssc_source_from_row(bml_ssc_source *source, const double *row);

/* Largest Lorentz factor that a blob can confine: e B R/(m_e c^2). R [cm], B [G]. */
BML_SSC_DEF double bml_ssc_gamma_confined(double R, double B);

/* Empties the blob and makes it this source, at t = 0. The source is copied; its tables and fields must live on.
   Errors: BAD_ARGUMENT, PARAMETER, ORDER, SPECTRUM; bml_ssc_message names member, value and range. */
BML_SSC_DEF int bml_ssc_begin(bml_ssc_blob *blob, const bml_ssc_source *source);

/* Goes on to time t [R/c]. Errors: BAD_ARGUMENT, TIME, PARAMETER (a bad drive), CANCELLED, NOT_CONVERGED (a step's
   fixed point; the state is that of the last iteration). After CANCELLED, or PARAMETER from the hook, begin again. */
BML_SSC_DEF int bml_ssc_advance(bml_ssc_blob *blob, double t);

/* Goes on until the spectrum changes by less than tolerance (relative, per R/c; 1e-8 ... 0.1, 0 = 1e-4) and t > 3, with
   growing steps. Not for sources with a drive or expansion (PARAMETER). Errors: as bml_ssc_advance; NOT_CONVERGED after
   1000 steps. */
BML_SSC_DEF int bml_ssc_steady(bml_ssc_blob *blob, double tolerance);

/* bml_ssc_begin, then bml_ssc_advance to source->t_end. */
BML_SSC_DEF int bml_ssc_solve(bml_ssc_blob *blob, const bml_ssc_source *source);

/* What went wrong last in bml_ssc_begin, _advance, _steady or _solve, naming the parameter; "" if nothing since begin.
   Calls that only read a blob leave it alone: their status is all. Lives as long as the blob. */
BML_SSC_DEF const char *bml_ssc_message(const bml_ssc_blob *blob);

/* ---- API: what comes out ---------------------------------------------------------------------------------------- */

typedef enum bml_ssc_component {
    BML_SSC_TOTAL,
    BML_SSC_SYNCHROTRON,
    BML_SSC_COMPTON,
    BML_SSC_EXTERNAL,
    BML_SSC_EXCHANGED
} bml_ssc_component;

/* log10(x^2 n) in the blob at log10_x; -HUGE_VAL where there are no photons. Between nodes a cubic in log-log (ATHENA:
   straight lines); below the grid straight-line extrapolation. Components of the photons' last scattering: SYNCHROTRON,
   COMPTON (scattered photons of the blob), EXTERNAL (scattered external photons, mean over directions), EXCHANGED (made
   by the exchange hook).
   log10_x2n [n] out; log10_x [n] in. Thread safe on a blob at rest. Errors: BAD_ARGUMENT, BAD_COMPONENT. */
BML_SSC_DEF int bml_ssc_spectrum(double *log10_x2n, const double *log10_x, int n, const bml_ssc_blob *blob,
                                 bml_ssc_component component);

/* log10(gamma^2 N) at log10_gamma; -HUGE_VAL where there are none. Arguments as bml_ssc_spectrum.
   Errors: BAD_ARGUMENT. */
BML_SSC_DEF int bml_ssc_electrons(double *log10_g2N, const double *log10_gamma, int n, const bml_ssc_blob *blob);

/* Optical depth of the extragalactic background light. Bilinear in z and log10 nu, in tau itself. */
typedef struct bml_ssc_ebl {
    const double *z;        /* [n_z] growing */
    const double *log10_nu; /* [n_nu] growing, observer's [Hz]; below the first tau is 0, above the last an error */
    const double *tau;      /* [n_z][n_nu] >= 0; infinity is total absorption */
    int n_z;                /* at least 2 */
    int n_nu;               /* likewise */
} bml_ssc_ebl;

typedef struct bml_ssc_observer {
    double redshift;        /* z > 0, or distance > 0 */
    double delta;           /* Doppler factor; 0 = 1 */
    double H0;              /* [km s^-1 Mpc^-1]; 0 = 70 */
    double omega_m;         /* flat LambdaCDM; 0 = 0.3 */
    double distance;        /* luminosity distance [cm]; 0 = from redshift, H0, omega_m */
    const bml_ssc_ebl *ebl; /* NULL = no absorption */
} bml_ssc_observer;

/* tau at redshift z and frequency nu [Hz]. Below the table's first z it falls linearly to 0 at z = 0.
   Errors: BAD_ARGUMENT (no table), OUTSIDE_TABLE, PARAMETER (not growing, tau < 0). */
BML_SSC_DEF int bml_ssc_ebl_depth(double *tau, const bml_ssc_ebl *ebl, double z, double nu);

/* Luminosity distance [cm] in flat LambdaCDM; z > 0, H0 [km s^-1 Mpc^-1], 0 < omega_m <= 1. NaN outside. */
BML_SSC_DEF double bml_ssc_luminosity_distance(double z, double H0, double omega_m);

/* nu F_nu [erg cm^-2 s^-1] at the observer's frequencies. nuFnu [n] out; nu [n] in [Hz]. EXTERNAL is what the source's
   delta sees of the fields that are not isotropic in the blob (20). All of it is NaN on error.
   Thread safe on a blob at rest. Errors: BAD_ARGUMENT, BAD_COMPONENT, BAD_OBSERVER, BAD_FREQUENCY, OUTSIDE_TABLE. */
BML_SSC_DEF int bml_ssc_sed(double *nuFnu, const double *nu, int n, const bml_ssc_blob *blob,
                            const bml_ssc_observer *observer, bml_ssc_component component);

/* Energy since bml_ssc_begin, as energy density times sigma_T R/(m_e c^2), R at t = 0. What was injected is the sum of
   the others, but for the discretisation: residual is the part of it that is missing. */
typedef struct bml_ssc_balance {
    double injected;          /* by the exchange hook, too */
    double electrons;         /* still stored in electrons */
    double photons;           /* and in photons */
    double escaped_electrons; /* gone with electrons */
    double escaped_photons;   /* and with photons */
    double cooled;            /* through gamma = 1, and absorbed photons too soft to make pairs */
    double expansion;         /* work done by expanding */
    double exchanged;         /* photons that the exchange hook absorbed */
    double residual;          /* relative; 0 is perfect */
} bml_ssc_balance;
/* Thread safe on a blob at rest. Errors: BAD_ARGUMENT, also for a blob that has not begun. */
BML_SSC_DEF int bml_ssc_energy(bml_ssc_balance *out, const bml_ssc_blob *blob);

/* Numbers that papers quote. */
typedef struct bml_ssc_derived {
    double U_e;               /* energy density of electrons in the blob, gamma m_e c^2 each [erg cm^-3] */
    double U_B;               /* of the magnetic field [erg cm^-3] */
    double U_rad;             /* of photons [erg cm^-3] */
    double L_injected;        /* injected power, blob frame [erg s^-1] */
    double P_jet;             /* 2 pi R^2 delta^2 c (U_e + U_B + U_rad): two-sided, Gamma = delta [erg s^-1] */
    double nu_synchrotron;    /* peak of the synchrotron component, observed [Hz] */
    double L_synchrotron;     /* nu L_nu there, observed [erg s^-1] */
    double nu_compton;        /* peak of all scattered photons, likewise; 0 if there are none */
    double L_compton;         /* nu L_nu there */
    double compton_dominance; /* L_compton/L_synchrotron */
} bml_ssc_derived;
/* Thread safe on a blob at rest. Errors: BAD_ARGUMENT, BAD_OBSERVER. */
BML_SSC_DEF int bml_ssc_derive(bml_ssc_derived *out, const bml_ssc_blob *blob, const bml_ssc_observer *observer);

/* ---- API: around the blob --------------------------------------------------------------------------------------- */

/* Energy density [erg cm^-3] of a geometric field at the distance [cm] from the black hole, in a frame that moves out
   along the axis with Gamma (1: the black hole's). *u out; why as in bml_ssc_create. Errors: BAD_ARGUMENT, PARAMETER,
   SPECTRUM. */
BML_SSC_DEF int bml_ssc_field_energy(double *u, const bml_ssc_external *field, double distance, double Gamma,
                                     char *why);

/* The broad lines of Finke 2016, table 5: each of 25 on the shell of its own radius, as reverberation tells for H beta
   and photo-ionisation for the others, with the strengths of the mean SDSS quasar (Vanden Berk et al. 2001). field
   [BML_SSC_LINE_SHELLS] out, nearest first, lines of one radius together; fraction: of L_disc that all lines send on;
   R_Hbeta: radius of the shell of H beta [cm]; that of Lyman alpha, 39 % of the light, is 0.27 of it. Errors:
   BAD_ARGUMENT, and what solving them would give: SPECTRUM. */
enum { BML_SSC_LINE_SHELLS = 19 };
BML_SSC_DEF int bml_ssc_broad_lines(bml_ssc_external *field, double L_disc, double fraction, double R_Hbeta, char *why);

/* The optical depth (21) to pair production of photons that leave the blob along the axis, in geometric fields
   [n_fields]; CMB is left to the EBL. tau [n] out; nu [n] in [Hz], observer's frame at redshift z. Errors: as
   bml_ssc_field_energy, and BAD_FREQUENCY. */
typedef struct bml_ssc_path {
    const bml_ssc_external *fields; /* [n_fields] */
    int n_fields;
    double distance; /* where the photons start, from the black hole [cm], 1e10 ... 1e26 */
    double redshift; /* of the source */
} bml_ssc_path;
BML_SSC_DEF int bml_ssc_field_depth(double *tau, const double *nu, int n, const bml_ssc_path *path, char *why);

/* nu F_nu [erg cm^-2 s^-1] of a DISC or RING itself, to be added to the blob's; its whole luminosity over 4 pi d_L^2,
   no beaming: DISC a black body at each radius, RING one black body. Only redshift and distance of the observer count.
   nuFnu [n] out; nu [n] in [Hz]. Errors: as bml_ssc_field_energy, and BAD_OBSERVER, BAD_FREQUENCY. */
BML_SSC_DEF int bml_ssc_thermal_sed(double *nuFnu, const double *nu, int n, const bml_ssc_external *field,
                                    const bml_ssc_observer *observer, char *why);

/* nu F_nu [erg cm^-2 s^-1] of a giant elliptical galaxy, to be added to the blob's, k-correction and all: the template
   of Coleman, Wu & Weedman 1980 (table in the code), to 0.05 dex; Rayleigh-Jeans beyond 2 micrometres, zero outside
   1000 A ... 24 micrometres at rest. L_R: its nu L_nu in R (6410 A, at rest) [erg s^-1], >= 0. Only redshift and
   distance of the observer count. nuFnu [n] out; nu [n] in [Hz]. Errors: BAD_ARGUMENT, BAD_OBSERVER, BAD_FREQUENCY,
   PARAMETER. */
BML_SSC_DEF int bml_ssc_host_sed(double *nuFnu, const double *nu, int n, double L_R, const bml_ssc_observer *observer);

/* ---- API: data -------------------------------------------------------------------------------------------------- */

typedef struct bml_ssc_point {
    double nu;       /* [Hz], observer */
    double nuFnu;    /* [erg cm^-2 s^-1]; of an upper limit: the limit */
    double sigma_lo; /* detection: one-sigma error down [dex] */
    double sigma_hi; /* detection: one-sigma error up [dex]; upper limit: Gaussian sigma of the limit
                        [erg cm^-2 s^-1], 0 = nuFnu/1.645 (95 %) */
    int upper_limit; /* 0: a detection */
} bml_ssc_point;

/* Sets the errors of a detection from linear one-sigma errors [erg cm^-2 s^-1]: log10((F+e)/F) up, log10(F/(F-e)) down,
   or e/(F ln 10) down where e >= F. */
BML_SSC_DEF void bml_ssc_point_errors(bml_ssc_point *point, double err_lo, double err_hi);

/* ln of the likelihood of a SED. Detections: a Gaussian in log10 nuFnu, normalised, sigma^2 = sigma_side^2 + exp(2
   ln_f), sigma_hi where the model is above the point and sigma_lo where below (each side with its own norm, so that
   the value jumps at the point by the ratio of the errors); ln_f is the logarithm of a systematic scatter
   [dex], -HUGE_VAL for none. Upper limits: ln Phi((F_ul - F_model)/sigma), in flux. A model of zero flux at a detection
   gives -HUGE_VAL; ln_f is not added to limits.
   *ln_l out (NaN on error); model [n] = nuFnu at the points' frequencies; points [n].
   Errors: BAD_ARGUMENT, POINT, PARAMETER (NaN model). */
BML_SSC_DEF int bml_ssc_log_likelihood(double *ln_l, const double *model, const bml_ssc_point *points, int n,
                                       double ln_f);

/* ---- API: many sources ------------------------------------------------------------------------------------------ */

typedef struct bml_ssc_batch_job {
    double *out;                       /* [n_sources][n]: nuFnu at nu, or log10(x^2 n) at log10_x without observers */
    int *status;                       /* [n_sources]: one status each; may be NULL */
    const bml_ssc_source *sources;     /* [n_sources] */
    const bml_ssc_observer *observers; /* [n_sources], or NULL */
    const double *grid;                /* [n]: nu [Hz] with observers, log10 x without */
    int n_sources;
    int n; /* of the grid */
    bml_ssc_component component;
    int threads; /* 0 = all that OpenMP offers */
} bml_ssc_batch_job;

/* Solves many sources, threads over sources. Rows of sources that fail are filled with NaN. Returns BML_SSC_OK, or the
   status of the first source that failed. Errors: BAD_ARGUMENT, NO_MEMORY, and those of a source. */
BML_SSC_DEF int bml_ssc_batch(const bml_ssc_batch_job *job, const bml_ssc *tables);

/* ---- API: calls without a reason -----------------------------------------------------------------------------------
   The last argument of a create, why, may be left out, and then means NULL. */
#define BML_SSC_WHY_OPTIONAL_2(function, a, b, why, ...) function(a, b, why)
#define bml_ssc_create(...) BML_SSC_WHY_OPTIONAL_2(bml_ssc_create, __VA_ARGS__, NULL, 0)
#define bml_ssc_blob_create(...) BML_SSC_WHY_OPTIONAL_2(bml_ssc_blob_create, __VA_ARGS__, NULL, 0)

#ifdef __cplusplus
}
#endif

/* ---- end of API ------------------------------------------------------------------------------------------------- */
#endif /* BML_SSC_H */

#if defined(BML_SSC_IMPLEMENTATION) && !defined(BML_SSC_IMPLEMENTED)
#define BML_SSC_IMPLEMENTED

/* Contents: search for ">> name".
   >> status and memory   statuses, messages, rules of members, the allocator
   >> kernels             the functions of the physics section, one by one
   >> tables              what does not depend on the source
   >> blobs               the workspace of one source
   >> fields              photons from outside, by geometry
   >> source              checks, injection, grids, the kernels of this source
   >> emission            synchrotron and Compton
   >> electrons           losses, cooling, absorption, pairs
   >> time                steps, the fixed point, drives, the hook
   >> output              spectra, observer, energy
   >> around the blob     absorption on the way, disc, torus, host galaxy
   >> data                likelihood
   >> batch               many sources */

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "bml_ssc.h: compile this file without -ffast-math and -Ofast (in gcc and clang: add -fno-fast-math)"
#endif
#include <float.h>
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16 && FLT_EVAL_METHOD != 1
#error "bml_ssc.h: doubles must not be kept in wider registers (i386: -msse2 -mfpmath=sse; s390x: -std=gnu99)"
#endif
#if defined(BML_SSC_MALLOC) != defined(BML_SSC_FREE)
#error "bml_ssc.h: define BML_SSC_MALLOC and BML_SSC_FREE both, or none"
#endif
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#ifndef BML_SSC_MALLOC
#include <stdlib.h>
#define BML_SSC_MALLOC(n) malloc(n)
#define BML_SSC_FREE(p) free(p)
#define BML_SSC__OWN_MALLOC
#endif
#if defined(__GNUC__) || defined(__clang__)
#define BML_SSC__RESTRICT __restrict__
#else
#define BML_SSC__RESTRICT
#endif

/* Physical constants, cgs (CODATA 2018). */
#define BML_SSC__PI 3.14159265358979323846
#define BML_SSC__LN10 2.30258509299404568402
#define BML_SSC__LN4 1.38629436111989061883
#define BML_SSC__C 2.99792458e10
#define BML_SSC__H 6.62607015e-27
#define BML_SSC__K 1.380649e-16
#define BML_SSC__MC2 8.1871057769e-7
#define BML_SSC__SIGMA_T 6.6524587321e-25
#define BML_SSC__E 4.80320471e-10
#define BML_SSC__B_CRIT 4.41400519e13
#define BML_SSC__LAMBDA_C 2.42631023867e-10
#define BML_SSC__A_RAD 7.56573325e-15
#define BML_SSC__MPC 3.0856775814913673e24
#define BML_SSC__G_M_SUN 1.32712440018e26

/* Single precision in vectors, for the one loop that costs most: gcc's and clang's vectors, or an array that other
   compilers may keep in registers. */
#if defined(__GNUC__) || defined(__clang__)
#ifdef __AVX__
typedef float bml_ssc__lanes __attribute__((vector_size(32)));
#else
typedef float bml_ssc__lanes __attribute__((vector_size(16)));
#endif
#define BML_SSC__ADD(sum, w, add) (sum) += (w) * (add)
#else
typedef struct bml_ssc__lanes {
    float v[8];
} bml_ssc__lanes;
#define BML_SSC__ADD(sum, w, add)        \
    for (int lane = 0; lane < 8; lane++) \
    (sum).v[lane] += (w) * (add).v[lane]
#endif

/* Index conventions, everywhere below. h: electron spacing (natural log); r: photon spacing in units of h (1, or 2 on
   the ATHENA grid).   gamma_i = exp(lg0 + h i), i < ng;   x_k = exp(lx0 + r h k), k < nx, so that
       E = x_k/gamma_i    = exp(h (r k - i + e0 + a phi))       a = 1 on the ATHENA grid, 0 on the converged one
       G = 4 gamma_i x_j  = exp(h (i + r j + g0 + phi + c))     c constant, phi in [0, 1) differs from source to source
   and every kernel is a table of small integers, made for a few phi and interpolated once per source. */

#define BML_SSC__E_SPLIT 1e-3 /* below this E the Thomson limit of f(q, G) is right to 2 E, at all G */
#define BML_SSC__G_HIGH 1e5   /* beyond this G, f is constant (or grows like ln G within E = 0.9 ... 1) */
#define BML_SSC__G_LOW 1e-4   /* below this G the loss is Thomson's, right to 1.6 G */
#define BML_SSC__Q_LOW 4e-5   /* below this q, f is 1 to 1e-3 */
#define BML_SSC__Y_LOW 1e-5   /* below this y, S(y) ~ y^(1/3), right to 1e-3 */
#define BML_SSC__Y_HIGH 60.0  /* beyond this y, S is below e^-60 */
#define BML_SSC__FINE 32      /* sub-steps of h in the one-dimensional tables */
/* Lowest photon energy of any grid: 0.1 b of the weakest field, or an external one. */
#define BML_SSC__LOG_X_LOW (-24.0)
#define BML_SSC__LOG_GAMMA_HIGH 15.0
#define BML_SSC__SLOTS 64 /* emission kept for light_travel */

#define BML_SSC__MIN(a, b) ((a) < (b) ? (a) : (b))
#define BML_SSC__MAX(a, b) ((a) > (b) ? (a) : (b))

typedef struct bml_ssc__line { /* a function of ln y, tabulated at steps of h/FINE from ln y = lo on */
    double *value;             /* [n] */
    double lo;
    int n;
} bml_ssc__line;

struct bml_ssc {
    bml_ssc_grid grid;
    double h;           /* see the index conventions */
    double time_step;   /* longest step [R/c] */
    double driven_step; /* time_step of sources with a drive or expansion */
    int light_travel;
    int r;
    double c;    /* see the index conventions */
    int n_phi;   /* tables of f at phi = 0, 1/n_phi, ..., 1 */
    int rows;    /* E rows m = 0 ... rows-1 (all parities) */
    int row_pad; /* their padded count per parity */
    int cols;    /* G columns g = g_lo ... g_lo+cols-1, per parity cols/r */
    int g_lo;
    int span[40][2]; /* by block of 8 rows, in columns of one parity: f = 0 below the first, constant from the second */
    double *f;       /* [n_phi+1][r: parity of the row][cols][row_pad] */
    bml_ssc__line syn;  /* S(y) averaged over an electron cell, y = x/x_c */
    bml_ssc__line syn1; /* and weighted with the position in the cell */
    bml_ssc__line syn0; /* S(y) itself, for self-absorption */
    bml_ssc__line loss; /* G of (8): int f E dE as a function of G, in logs */
    bml_ssc__line gg;   /* angle-averaged pair cross section as a function of x x' */
    int max_ng;         /* of a blob's grids, at most */
    int max_nx;
};

/* Three points in time of one quantity, for the two-step formula BDF2. */
typedef struct bml_ssc__ledger {
    double now;
    double last;
    double before;
} bml_ssc__ledger;

enum {
    BML_SSC__INJECTED,
    BML_SSC__ESC_E,
    BML_SSC__ESC_X,
    BML_SSC__COOLED,
    BML_SSC__WORK,
    BML_SSC__TAKEN,
    BML_SSC__LEDGERS
};
enum { BML_SSC__SYN, BML_SSC__SSC, BML_SSC__EXT, BML_SSC__ADDED, BML_SSC__VIEW, BML_SSC__COMPONENTS };

/* Compton kernels of this source: (7), or (20) for an observer. */
typedef struct bml_ssc__compton {
    float *f;     /* [r][cols/r][row_pad] f/G^2 at E >= 1e-3 */
    double *last; /* [r][row_pad] f from the end of each block's span on; rows of both from the last to the first */

    float *thomson; /* E < 1e-3, by t = s - k from thomson_lo on: the window in which q is above Q_LOW; over x^2 */
    double flat;    /* and beyond the window */
    int thomson_lo;
    int window;
    int first_from[40]; /* by block of ROWS rows: where its span begins */
    int flat_from[40];  /* by block of ROWS rows: the end of its span */
} bml_ssc__compton;

struct bml_ssc_blob {
    const bml_ssc *tab;
    bml_ssc_source src; /* defaults resolved */
    char message[BML_SSC_MESSAGE];
    int started;
    double t;                 /* since begin [R/c] */
    double dt_last;           /* 0: no step yet */
    double ln_R[2];           /* ln(R/R0) one and two steps ago */
    bml_ssc_drive drive_last; /* means over the step before */

    int ng; /* see the index conventions, as for the next four */
    int nx;
    int e0;
    int g0;
    double lg0;
    double lx0;
    double phi;
    double b;   /* B/B_crit at the beginning */
    double l_B; /* (5), now */
    double B_now;
    bml_ssc__ledger ledger[BML_SSC__LEDGERS];
    int active[BML_SSC__COMPONENTS]; /* components that this source has */

    /* electrons [max_ng]; M is the number N dgamma in a cell */
    double *gamma;
    double *width;
    double *Q; /* injection per cell */
    double *M; /* now, and one and two steps ago */
    double *M1;
    double *M2;
    double *S;    /* what a step begins with: base, pairs, the hook's */
    double *base; /* history and injection, which no pass changes */
    double *gdot; /* loss rates g that a pass is made with */
    double *old;  /* F(g), loss rates in the photons that come of it */
    double *flux;
    double *slope;
    double *work;      /* scratch */
    double *loss1;     /* loss rates at the end of the last step */
    double *loss2;     /* and of the one before */
    double *guess;     /* of a step's loss rates, linear in time */
    double *wrong;     /* by what it was wrong in the last step */
    double *miss;      /* F(g) - g of the fixed point */
    double *miss_last; /* and a pass before */
    double *old_last;  /* F(g) a pass before */
    double *made;      /* the hook's electrons, per cell and R/c */
    double *face;      /* see bml_ssc__faces */
    double *rise;      /* [max_nx] scratch of the synchrotron sum */
    /* photons [max_nx] */
    double *x;
    double *x2;                        /* squares */
    double *n;                         /* total density at the end of the step */
    double *n1;                        /* and one step before */
    double *comp[BML_SSC__COMPONENTS]; /* of each component; one and two steps ago */
    double *comp1[BML_SSC__COMPONENTS];
    double *comp2[BML_SSC__COMPONENTS];
    double *history[BML_SSC__COMPONENTS]; /* of BDF2, in this step */
    double *n_ext;                        /* outside fields: all */
    double *n_iso;                        /* those that an observer meets by (7) */
    double *n_view;                       /* targets of (20) */
    double *target;                       /* of Compton scattering */
    double *emit;                         /* emission of one component */
    double *kappa;                        /* absorption (9), (10) */
    double *stay;                         /* s of (14) */
    double *suffix;                       /* sums over targets from j up */
    double *below;                        /* and of x^2 n below j */
    float *padded;                        /* [max_nx + 2 MARGIN] targets x^2 n/peak between zeros */
    double peak;
    double *photons;                      /* the hook's, and */
    double *absorption;                   /* what it absorbs */
    double *seen;                         /* what the observer sees of all components together */
    double *lit[BML_SSC__COMPONENTS + 1]; /* light_travel: smeared components, and their sum */
    double *slots;                        /* light_travel: [SLOTS][COMPONENTS][nx] */
    double slot_time[BML_SSC__SLOTS];
    int n_slots;
    int next_slot;
    int steps; /* since begin */
    /* per-source kernels */
    bml_ssc__compton compton; /* (7) */
    bml_ssc__compton view;    /* (20) */
    double *syn;              /* [r][.] by parity of the index, as the next two */
    double *syn1;
    double *syn0;
    double *norm;    /* [max_ng] */
    float *loss;     /* loss/G^2 by i + r j */
    double *gg;      /* by j + k */
    double *scatter; /* Thomson: what one electron of weight 1 makes, by k - (2/r) i */
    double *wide;    /* [max_nx + 2 WIDE] emission with room beyond the grid */
    double *scratch;
    int syn_len; /* of the tables above, and their first indices */
    int syn_lo;
    int syn_d_lo;
    int syn_d_hi;
    int loss_lo;
    double *memory;
};

/* >> status and memory -----------------------------------------------------------------------------------------------
   What has a reason to give goes through bml_ssc__fail. An object and its arrays are blocks cut up by bml_ssc__take.
   Sizes are below 1e5: counts and indices are int, and ptrdiff_t where two are multiplied. */

BML_SSC_DEF const char *bml_ssc_strerror(int status) {
#define BML_SSC__CASE(name, value, text) \
    if (status == value) return text;
    BML_SSC_STATUS_TABLE(BML_SSC__CASE)
#undef BML_SSC__CASE
    return "unknown status";
}

/* A locale's decimal comma becomes a point: no text of ours has a comma between digits. */
static void bml_ssc__mend_commas(char *text) {
    for (char *c = text; c[0] && c[1] && c[2]; c++) {
        int digit_before = c[0] >= '0' && c[0] <= '9';
        int digit_after = c[2] >= '0' && c[2] <= '9';
        if (c[1] == ',' && digit_before && digit_after) {
            c[1] = '.';
        }
    }
}

/* Writes the message, if there is room for one, and hands the status through: return bml_ssc__fail(...). */
static int bml_ssc__fail(char *message, int status, const char *format, ...) {
    if (!message) {
        return status;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(message, BML_SSC_MESSAGE, format, args);
    va_end(args);
    bml_ssc__mend_commas(message);
    return status;
}

/* The reason of a call without a blob; "" without one. */
static int bml_ssc__say(char *why, int status) {
    return bml_ssc__fail(why, status, "%s", status ? bml_ssc_strerror(status) : "");
}

/* A member of a struct, its range, and what zero means: an error, the default, or zero. */
typedef struct bml_ssc__rule {
    const char *name;
    size_t offset; /* in the struct */
    double lo;
    double hi;
    double fallback;
    int zero; /* what it means: */
} bml_ssc__rule;
enum { BML_SSC__REQUIRED, BML_SSC__DEFAULT, BML_SSC__ZERO };

/* Puts defaults in and checks ranges; NaN fails every rule. */
static int bml_ssc__apply_rules(void *object, const bml_ssc__rule *rules, int n, char *message, int status) {
    for (int i = 0; i < n; i++) {
        const bml_ssc__rule *rule = &rules[i];
        double value;
        char *member = (char *)object + rule->offset;
        memcpy(&value, member, sizeof value);
        const char *required = "";
        if (value == 0 && rule->zero == BML_SSC__ZERO) {
            continue;
        }
        if (value == 0 && rule->zero == BML_SSC__REQUIRED) {
            required = "required, ";
        }
        if (value == 0 && rule->zero == BML_SSC__DEFAULT) {
            memcpy(member, &rule->fallback, sizeof value);
            continue;
        }
        if (!*required && value >= rule->lo && value <= rule->hi) {
            continue;
        }
        return bml_ssc__fail(message, status, "%s = %.10g: %smust be in [%.10g, %.10g]", rule->name, value, required,
                             rule->lo, rule->hi);
    }
    return BML_SSC_OK;
}

/* Bump allocator over one block of doubles, by eights: pass base = NULL to count. */
static double *bml_ssc__take(double *base, ptrdiff_t *used, ptrdiff_t n) {
    double *p = base ? base + *used : NULL;
    *used += (n + 7) / 8 * 8;
    return p;
}

/* n doubles, all zero; NULL without memory. */
static double *bml_ssc__doubles(ptrdiff_t n) {
    size_t bytes = (size_t)n * sizeof(double);
    double *p = (double *)BML_SSC_MALLOC(bytes);
    if (p) {
        memset(p, 0, bytes);
    }
    return p;
}

static void bml_ssc__clear(double *a, ptrdiff_t n) {
    memset(a, 0, (size_t)n * sizeof *a);
}

static void bml_ssc__copy(double *to, const double *from, ptrdiff_t n) {
    memcpy(to, from, (size_t)n * sizeof *to);
}

static void bml_ssc__swap(double **a, double **b) {
    double *c = *a;
    *a = *b;
    *b = c;
}

static int bml_ssc__floor(double v) {
    return (int)floor(v);
}

static int bml_ssc__clamp(int v, int lo, int hi) {
    return v < lo ? lo : BML_SSC__MIN(v, hi);
}

/* Sum of a b [n], in eight strands that a compiler keeps in vector registers. */
static double bml_ssc__dot(const double *BML_SSC__RESTRICT a, const double *BML_SSC__RESTRICT b, int n) {
    double s[8] = {0};
    double rest = 0;
    int j;
    for (j = 0; j + 8 <= n; j += 8)
        for (int m = 0; m < 8; m++)
            s[m] += a[j + m] * b[j + m];
    for (; j < n; j++)
        rest += a[j] * b[j];
    double even = (s[0] + s[4]) + (s[2] + s[6]);
    double odd = (s[1] + s[5]) + (s[3] + s[7]);
    return even + odd + rest;
}

/* >> kernels ---------------------------------------------------------------------------------------------------------
   The functions of the physics section, one by one. Written for clarity; they only fill tables. */

/* int_0^inf exp(-y cosh t) cosh(nu t) / cosh(t)^power dt: K_nu(y) for power 0; the trapezoid rule converges
   exponentially, since the integrand decays doubly exponentially. */
static double bml_ssc__bessel(double nu, double y, int power) {
    const double step = 0.1;
    double sum = 0;
    for (int i = 0; i < 2000; i++) {
        double t = step * i;
        double ch = cosh(t);
        double a = y * ch;
        if (a > 740) {
            break;
        }
        double weight = i ? 1.0 : 0.5;
        if (power) {
            weight /= ch;
        }
        sum += weight * exp(-a) * cosh(nu * t);
    }
    return sum * step;
}

/* S(y) of (6), not normalised. */
static double bml_ssc__synchrotron(double y, bml_ssc_pitch pitch) {
    if (pitch == BML_SSC_PITCH_90) {
        return y * bml_ssc__bessel(5.0 / 3.0, y, 1);
    }
    double k13 = bml_ssc__bessel(1.0 / 3.0, 0.5 * y, 0);
    double k43 = bml_ssc__bessel(4.0 / 3.0, 0.5 * y, 0);
    return 0.25 * y * y * (k43 * k13 - 0.3 * y * (k43 * k43 - k13 * k13));
}

/* f(q, G) of (7). */
static double bml_ssc__jones(double q, double G) {
    if (!(q > 0 && q < 1)) {
        return 0;
    }
    double recoil = (G * q) * (G * q) / (2 * (1 + G * q));
    return 2 * q * log(q) + (1 + 2 * q + recoil) * (1 - q);
}

/* 8-point Gauss-Legendre rule on [-1, 1]: half the nodes. */
static const double bml_ssc__gauss_x[4] = {0.18343464249564980, 0.52553240991632899, 0.79666647741362674,
                                           0.96028985649753623};
static const double bml_ssc__gauss_w[4] = {0.36268378337836198, 0.31370664587788729, 0.22238103445337447,
                                           0.10122853629037626};

/* int of E f dE between ln q = lo and hi, with E = G q/(1 + G q), dE/dln q = E/(1 + G q). */
static double bml_ssc__jones_energy(double lo, double hi, double G) {
    double sum = 0;
    int pieces = 1 + (int)(hi - lo);
    for (int piece = 0; piece < pieces; piece++) {
        double half = 0.5 * (hi - lo) / pieces;
        double mid = lo + (2 * piece + 1) * half;
        for (int i = 0; i < 8; i++) {
            double node = i & 1 ? bml_ssc__gauss_x[i / 2] : -bml_ssc__gauss_x[i / 2];
            double q = exp(mid + half * node);
            double E = G * q / (1 + G * q);
            double weight = half * bml_ssc__gauss_w[i / 2];
            sum += weight * bml_ssc__jones(q, G) * E * E / (1 + G * q);
        }
    }
    return sum;
}

/* f at (E, G): a point value, or its average over a cell of width h around E that keeps the energy. */
static double bml_ssc__jones_cell(double E, double G, double h, int average) {
    double lo = E * exp(-0.5 * h);
    double hi = E * exp(0.5 * h);
    double top = G / (1 + G);
    if (!average) {
        return E < 1 ? bml_ssc__jones(E / (G * (1 - E)), G) : 0;
    }
    if (lo >= top) {
        return 0;
    }
    lo = log(lo / (G * (1 - lo)));
    hi = hi >= top ? 0 : log(hi / (G * (1 - hi)));
    return bml_ssc__jones_energy(lo, hi, G) / (E * E * h);
}

/* The same in the Thomson limit, where E = G q and the average is a closed form: int_0^q q f dq of (7), and of f/2 of
   (20), f = 2 - 4 q (1 - q). */
static double bml_ssc__thomson_integral(double q, double ln_q, int view) {
    if (q > 1) {
        return view ? 1.0 / 3 : 1.0 / 9;
    }
    double isotropic = 0.5 + q * (2 * ln_q / 3 + 1.0 / 9.0 - 0.5 * q);
    double head_on = 0.5 + q * (0.5 * q - 2.0 / 3);
    return q * q * (view ? head_on : isotropic);
}

static double bml_ssc__thomson_point(double q, double ln_q, int view) {
    if (q >= 1) {
        return 0;
    }
    if (view) {
        return 1 - 2 * q * (1 - q);
    }
    return 2 * q * ln_q + (1 + 2 * q) * (1 - q);
}

/* Li2(-G) for G <= 1, by Bernoulli numbers: with u = ln(1 + G) it is u^2/4 - u - u^2/2 - sum B_2k u^(2k+1)/(2k+1)!;
   from 1/G above. */
static double bml_ssc__dilog_minus(double G) {
    static const double b[7] = {1 / 36.0,
                                -1 / 3600.0,
                                1 / 211680.0,
                                -1 / 10886400.0,
                                1 / 526901760.0,
                                -4.0647616451442255e-11,
                                8.9216910204564526e-13};
    if (G > 1) {
        double l = log(G);
        return -BML_SSC__PI * BML_SSC__PI / 6 - 0.5 * l * l - bml_ssc__dilog_minus(1 / G);
    }
    double u = log1p(G);
    double sum = 0;
    for (int k = 6; k >= 0; k--)
        sum = b[k] + u * u * sum;
    return -u - 0.25 * u * u - u * u * u * sum;
}

/* int f E dE over all E at G (8); G^2/9 in the Thomson limit. In closed form (Moderski et al. 2005, MNRAS 363, 954, eq.
   18 and 19) where its terms do not cancel. */
static double bml_ssc__loss_integral(double G) {
    if (G < 1e-5) {
        return G * G / 9 * (1 - 1.575 * G); /* Blumenthal & Gould 1970: 1 - 63/40 G */
    }
    if (G < 0.3) {
        return bml_ssc__jones_energy(-12 - 2 * log(1 + G), 0, G);
    }
    double w = 1 / (1 + G);
    double recoil = (11.0 / 12 * G * G * G + 6 * G * G + 9 * G + 4) * w * w;
    return ((0.5 * G + 6 + 6 / G) * log1p(G) - recoil - 2 + 2 * bml_ssc__dilog_minus(G)) / G;
}

/* Pair cross section in units of sigma_T at s = x x' (1 - mu)/2. */
static double bml_ssc__pair_section(double s) {
    if (!(s > 1)) {
        return 0;
    }
    double b2 = 1 - 1 / s;
    double beta = sqrt(b2);
    double ln = log((1 + beta) * (1 + beta) * s); /* (1+b)/(1-b) = (1+b)^2 s */
    return 0.1875 / s * ((3 - b2 * b2) * ln - 2 * beta * (2 - b2));
}

/* Pair cross section times (1 - mu), averaged over angles, in units of sigma_T; w = x x' (10). */
static double bml_ssc__pair_rate(double w) {
    if (w <= 1) {
        return 0;
    }
    double u_max = log(w);
    if (u_max > 18) {
        return 0.75 * (u_max + BML_SSC__LN4 - 2) / w; /* right to ln(w)^2/w */
    }
    double sum = 0;
    int n = 64 * (1 + (int)u_max / 4);
    for (int i = 0; i < n; i++) { /* s from 1 to w; midpoints in ln s */
        double s = exp(u_max * (i + 0.5) / n);
        sum += s * s * bml_ssc__pair_section(s) * u_max / n;
    }
    return 2 * sum / (w * w); /* (1/2) int (1 - mu) sigma dmu = (2/w^2) int s sigma ds */
}

/* 1/s of (14) at tau = kappa. 1 - P = tau sum over m of -(3/4) (-2)^(m + 3)/((m + 2)! (m + 4)) tau^m. */
static double bml_ssc__sphere_escape(double tau) {
    static const double c[] = {0.75,       -0.4,       1.0 / 6,      -2.0 / 35,  1.0 / 60,
                               -4.0 / 945, 1.0 / 1050, -2.0 / 10395, 1.0 / 28350};
    if (tau < 0.5) {
        double rest = 0;
        for (int m = 8; m >= 0; m--)
            rest = rest * tau + c[m];
        return (1 - tau * rest) / rest;
    }
    double u = 1 / tau;
    double half = 0.5 * u * u;
    double P = 0.75 * u * (1 - half + (u + half) * exp(-2 * tau));
    return tau * P / (1 - P);
}

/* Planck's law: the share of the energy in a cell of width h (natural log) around y = x/theta. */
static double bml_ssc__planck_cell(double y, double h) {
    double sum = 0;
    for (int i = 0; i < 8; i++) {
        double at = y * exp(h * ((i + 0.5) / 8 - 0.5));
        if (at < 700) {
            sum += at * at * at * at / expm1(at);
        }
    }
    return sum * h / 8 * 15 / (BML_SSC__PI * BML_SSC__PI * BML_SSC__PI * BML_SSC__PI);
}

/* >> tables ----------------------------------------------------------------------------------------------------------
   Everything that does not depend on the source. */

/* Lines: their ranges in ln y cover every source that bml_ssc_begin admits. */
static void bml_ssc__line_shape(bml_ssc__line *line, double lo, double hi, double h) {
    line->lo = lo;
    line->n = (int)((hi - lo) * BML_SSC__FINE / h) + 3;
}

/* out [n] = a line at ln y = from + r h t, linear between its nodes; 0 outside. */
static void bml_ssc__lattice(double *out, const bml_ssc__line *line, double from, double h, int r, int n) {
    double u = (from - line->lo) * BML_SSC__FINE / h;
    int i = bml_ssc__floor(u);
    double w = u - i;
    for (int t = 0; t < n; t++) {
        const double *v = line->value + i;
        int inside = i >= 0 && i < line->n - 1;
        out[t] = inside ? v[0] + w * (v[1] - v[0]) : 0;
        i += r * BML_SSC__FINE;
    }
}

/* S on the fine lattice, normalised to int S dy = 1; below y = 1e-5 it is y^(1/3), right to 1e-3. */
static void bml_ssc__fill_synchrotron(bml_ssc *tab, bml_ssc_pitch pitch) {
    double *S = tab->syn0.value;
    int n = tab->syn0.n;
    double step = tab->h / BML_SSC__FINE;
    double sum = 0;
    double low = log(BML_SSC__Y_LOW);
    double s_low = bml_ssc__synchrotron(BML_SSC__Y_LOW, pitch);
    for (int i = 0; i < n; i++) {
        double ln_y = tab->syn0.lo + i * step;
        double y = exp(ln_y);
        S[i] = ln_y < low ? s_low * exp((ln_y - low) / 3) : bml_ssc__synchrotron(y, pitch);
        sum += S[i] * y * step;
    }
    for (int i = 0; i < n; i++)
        S[i] /= sum;
    int half = BML_SSC__FINE;     /* an electron cell of width h is 2 h wide in ln y */
    for (int i = 0; i < n; i++) { /* position in the cell u in [-1/2, 1/2]: y shifts by -2 h u; Simpson's rule */
        double mean = 0;
        double first = 0;
        for (int j = -half; j <= half; j++) {
            double w = (j + half) % 2 ? 4 : 2;
            if (j == -half || j == half) {
                w = 1;
            }
            double value = w * S[bml_ssc__clamp(i + j, 0, n - 1)] / (6.0 * half);
            mean += value;
            first -= value * j / (2.0 * half);
        }
        tab->syn.value[i] = tab->grid == BML_SSC_ATHENA ? S[i] : mean;
        tab->syn1.value[i] = tab->grid == BML_SSC_ATHENA ? 0 : first;
    }
}

/* Where f of a phase, a parity and a column begins: [row_pad]. */
static double *bml_ssc__f_at(const bml_ssc *tab, int phase, int parity, int column) {
    ptrdiff_t at = ((ptrdiff_t)phase * tab->r + parity) * tab->cols + column;
    return tab->f + at * tab->row_pad;
}

static void bml_ssc__fill_f(bml_ssc *tab) {
    double h = tab->h;
    int average = tab->grid == BML_SSC_CONVERGED;
    int planes = (tab->n_phi + 1) * tab->r;
    for (int plane = 0; plane < planes; plane++) {
        double phi = (double)(plane / tab->r) / tab->n_phi;
        double phi_E = average ? 0 : phi;
        int parity = plane % tab->r;
        for (int column = 0; column < tab->cols; column++) {
            double *f = bml_ssc__f_at(tab, plane / tab->r, parity, column);
            double G = exp(h * (tab->g_lo + column + phi + tab->c));
            for (int m = 0; m < tab->row_pad; m++) {
                int row = m * tab->r + parity;
                f[m] = 0;
                if (row < tab->rows) {
                    f[m] = bml_ssc__jones_cell(exp(h * (phi_E - row)), G, h, average);
                }
            }
        }
    }
}

/* Where f of a block of eight rows is neither 0 nor, to 1e-3, what it is at the last column; over all phi. */
static void bml_ssc__fill_span(bml_ssc *tab) {
    int planes = (tab->n_phi + 1) * tab->r;
    for (int block = 0; block < tab->row_pad / 8; block++) {
        int lo = tab->cols;
        int hi = 0;
        for (int line = 0; line < 8 * planes; line++) {
            const double *f = bml_ssc__f_at(tab, 0, 0, line / 8 * tab->cols) + 8 * block + line % 8;
            double last = f[(tab->cols - 1) * tab->row_pad];
            for (int column = 0; column < tab->cols; column++) {
                double v = f[column * tab->row_pad];
                if (v > 0 && column < lo) {
                    lo = column;
                }
                if (fabs(v - last) > 1e-3 * last && column > hi) {
                    hi = column;
                }
            }
        }
        tab->span[block][0] = BML_SSC__MAX(0, lo / tab->r - 1);
        tab->span[block][1] = BML_SSC__MIN(tab->cols / tab->r, hi / tab->r + 2);
    }
}

#define BML_SSC__GROUP 4
#define BML_SSC__LANES ((int)(sizeof(bml_ssc__lanes) / sizeof(float)))
#define BML_SSC__ROWS (2 * BML_SSC__LANES)

/* The span of the ROWS rows that are summed together. */
static void bml_ssc__block_span(int *lo, int *hi, const bml_ssc *tab, int row) {
    *lo = tab->cols;
    *hi = 0;
    for (int block = row / 8; block < (row + BML_SSC__ROWS) / 8; block++) {
        *lo = BML_SSC__MIN(*lo, tab->span[block][0]);
        *hi = BML_SSC__MAX(*hi, tab->span[block][1]);
    }
}

static void bml_ssc__fill_lines(bml_ssc *tab) {
    double step = tab->h / BML_SSC__FINE;
    for (int i = 0; i < tab->loss.n; i++)
        tab->loss.value[i] = log(bml_ssc__loss_integral(exp(tab->loss.lo + i * step)));
    for (int i = 0; i < tab->gg.n; i++)
        tab->gg.value[i] = bml_ssc__pair_rate(exp(tab->gg.lo + i * step));
}

/* Shapes of all tables; base = NULL counts the doubles, otherwise cuts the block up. */
static ptrdiff_t bml_ssc__layout_tables(bml_ssc *tab, double *base) {
    double h = tab->h;
    double ln_high = BML_SSC__LN10 * BML_SSC__LOG_GAMMA_HIGH;
    double ln_x_low = BML_SSC__LN10 * BML_SSC__LOG_X_LOW;
    double ln_split = log(BML_SSC__E_SPLIT);
    ptrdiff_t used = 0;
    tab->rows = (int)(-ln_split / h) + 1;
    tab->row_pad = ((tab->rows + tab->r - 1) / tab->r + 15) / 16 * 16;
    tab->g_lo = bml_ssc__floor(ln_split / h) - 2;
    tab->cols = ((int)(log(BML_SSC__G_HIGH) / h) - tab->g_lo) / 2 * 2;
    tab->max_ng = (int)(ln_high / h) + 4;
    tab->max_nx = (int)((ln_high - ln_x_low) / (tab->r * h)) + 6;
    bml_ssc__line_shape(&tab->syn0, -2 * ln_high - 8, log(1000.0), h);
    bml_ssc__line_shape(&tab->syn, -2 * ln_high - 8, log(1000.0), h);
    bml_ssc__line_shape(&tab->syn1, -2 * ln_high - 8, log(1000.0), h);
    bml_ssc__line_shape(&tab->loss, log(1e-5), 2 * ln_high + 2, h);
    bml_ssc__line_shape(&tab->gg, 0, 2 * ln_high + 1, h);
    ptrdiff_t planes = (ptrdiff_t)(tab->n_phi + 1) * tab->r;
    tab->f = bml_ssc__take(base, &used, planes * tab->cols * tab->row_pad);
    bml_ssc__line *lines[] = {&tab->syn, &tab->syn1, &tab->syn0, &tab->loss, &tab->gg};
    for (int i = 0; i < 5; i++)
        lines[i]->value = bml_ssc__take(base, &used, lines[i]->n);
    return used;
}

/* Defaults and checks of a configuration. */
static int bml_ssc__configure(bml_ssc_config *c, const bml_ssc_config *given, char *why) {
    static const bml_ssc__rule rules[] = {
        {"spacing", offsetof(bml_ssc_config, spacing), 0.01, 0.25, 0.1, BML_SSC__DEFAULT},
        {"time_step", offsetof(bml_ssc_config, time_step), 1e-3, 1, 0, BML_SSC__ZERO},
    };
    memset(c, 0, sizeof *c);
    if (given) {
        *c = *given;
    }
    int grid = (int)c->grid;
    int pitch = (int)c->pitch;
    if (grid != BML_SSC_CONVERGED && grid != BML_SSC_ATHENA) {
        return bml_ssc__fail(why, BML_SSC_CONFIG, "grid = %d: must be CONVERGED (0) or ATHENA (1)", grid);
    }
    if (pitch != BML_SSC_PITCH_AVERAGED && pitch != BML_SSC_PITCH_90) {
        return bml_ssc__fail(why, BML_SSC_CONFIG, "pitch = %d: must be AVERAGED (0) or 90 (1)", pitch);
    }
    int status = bml_ssc__apply_rules(c, rules, 2, why, BML_SSC_CONFIG);
    if (status) return status;
    if (grid == BML_SSC_ATHENA && c->spacing != 0.1) {
        return bml_ssc__fail(why, BML_SSC_CONFIG, "spacing = %g: must be 0.1 on the ATHENA grid", c->spacing);
    }
    return BML_SSC_OK;
}

BML_SSC_DEF int(bml_ssc_create)(bml_ssc **out, const bml_ssc_config *config, char *why) {
    if (out) {
        *out = NULL;
    }
    if (!out) {
        return bml_ssc__say(why, BML_SSC_BAD_ARGUMENT);
    }
    bml_ssc_config cfg;
    int status = bml_ssc__configure(&cfg, config, why);
    if (status) return status;
    bml_ssc *tab;
    tab = (bml_ssc *)BML_SSC_MALLOC(sizeof *tab);
    if (!tab) {
        return bml_ssc__say(why, BML_SSC_NO_MEMORY);
    }
    memset(tab, 0, sizeof *tab);
    int athena = cfg.grid == BML_SSC_ATHENA;
    tab->grid = cfg.grid;
    tab->h = cfg.spacing * BML_SSC__LN10;
    tab->time_step = cfg.time_step > 0 ? cfg.time_step : 5.0 / 12;
    tab->driven_step = cfg.time_step > 0 ? cfg.time_step : 1.0 / 24;
    tab->light_travel = cfg.light_travel;
    tab->r = athena ? 2 : 1;
    tab->n_phi = athena ? 32 : 8;
    /* ATHENA: lg0 = -h and lx0 = ln b + 2 h, so ln 4 alone shifts G against E (see the index conventions) */
    double steps = BML_SSC__LN4 / tab->h;
    tab->c = athena ? steps - floor(steps) : 0;
    double *block = bml_ssc__doubles(bml_ssc__layout_tables(tab, NULL));
    if (!block) {
        BML_SSC_FREE(tab);
        return bml_ssc__say(why, BML_SSC_NO_MEMORY);
    }
    bml_ssc__layout_tables(tab, block);
    bml_ssc__fill_synchrotron(tab, athena ? BML_SSC_PITCH_90 : cfg.pitch);
    bml_ssc__fill_f(tab);
    bml_ssc__fill_span(tab);
    bml_ssc__fill_lines(tab);
    *out = tab;
    return bml_ssc__say(why, BML_SSC_OK);
}

BML_SSC_DEF void bml_ssc_free(bml_ssc *tables) {
    if (!tables) {
        return;
    }
    BML_SSC_FREE(tables->f); /* the block starts with f */
    BML_SSC_FREE(tables);
}

/* >> blobs -----------------------------------------------------------------------------------------------------------
   One block of memory, cut up for the largest grids that the tables admit. */

enum { BML_SSC__MARGIN = 24 }; /* zeros on either side of padded targets */

/* Floats from the block of doubles. */
static float *bml_ssc__take_floats(double *base, ptrdiff_t *used, ptrdiff_t n) {
    return (float *)(void *)bml_ssc__take(base, used, (n + 1) / 2);
}

static void bml_ssc__layout_compton(bml_ssc__compton *kernel, const bml_ssc *tab, double *base, ptrdiff_t *used) {
    kernel->f = bml_ssc__take_floats(base, used, (ptrdiff_t)tab->cols * tab->row_pad);
    kernel->last = bml_ssc__take(base, used, (ptrdiff_t)tab->r * tab->row_pad);
    kernel->window = (int)(-log(BML_SSC__Q_LOW) / (tab->r * tab->h)) + 2;
    kernel->thomson = bml_ssc__take_floats(base, used, kernel->window + 1);
}

/* Cut a blob's memory up; base = NULL counts. */
static ptrdiff_t bml_ssc__layout_blob(bml_ssc_blob *blob, double *base) {
    const bml_ssc *tab = blob->tab;
    int ng = tab->max_ng;
    int nx = tab->max_nx;
    ptrdiff_t used = 0;
    double **electrons[] = {&blob->gamma, &blob->width, &blob->Q,     &blob->M,         &blob->M1,      &blob->M2,
                            &blob->S,     &blob->base,  &blob->gdot,  &blob->old,       &blob->flux,    &blob->slope,
                            &blob->work,  &blob->norm,  &blob->loss1, &blob->loss2,     &blob->guess,   &blob->wrong,
                            &blob->miss,  &blob->made,  &blob->face,  &blob->miss_last, &blob->old_last};
    double **photons[] = {&blob->x,      &blob->x2,   &blob->n,      &blob->n1,      &blob->n_ext,     &blob->n_iso,
                          &blob->n_view, &blob->emit, &blob->target, &blob->kappa,   &blob->stay,      &blob->seen,
                          &blob->suffix, &blob->rise, &blob->below,  &blob->photons, &blob->absorption};
    double **lattices[] = {&blob->syn, &blob->syn1, &blob->syn0, &blob->gg, &blob->scatter, &blob->scratch};
    int n_electrons = (int)(sizeof electrons / sizeof *electrons);
    int n_photons = (int)(sizeof photons / sizeof *photons);
    int n_lattices = (int)(sizeof lattices / sizeof *lattices);
    for (int i = 0; i < n_electrons; i++)
        *electrons[i] = bml_ssc__take(base, &used, ng);
    for (int i = 0; i < n_photons; i++)
        *photons[i] = bml_ssc__take(base, &used, nx);
    for (int c = 0; c < BML_SSC__COMPONENTS; c++) {
        blob->comp[c] = bml_ssc__take(base, &used, nx);
        blob->comp1[c] = bml_ssc__take(base, &used, nx);
        blob->comp2[c] = bml_ssc__take(base, &used, nx);
        blob->history[c] = bml_ssc__take(base, &used, nx);
    }
    for (int i = 0; i < n_lattices; i++)
        *lattices[i] = bml_ssc__take(base, &used, 2 * (ptrdiff_t)ng + 2 * nx + 8);
    blob->wide = bml_ssc__take(base, &used, nx + 2 * (tab->row_pad + 8));
    blob->loss = bml_ssc__take_floats(base, &used, 2 * (ptrdiff_t)ng + 2 * nx + 64);
    blob->padded = bml_ssc__take_floats(base, &used, nx + 2 * BML_SSC__MARGIN);
    bml_ssc__layout_compton(&blob->compton, tab, base, &used);
    bml_ssc__layout_compton(&blob->view, tab, base, &used);
    if (!tab->light_travel) {
        return used;
    }
    for (int c = 0; c <= BML_SSC__COMPONENTS; c++)
        blob->lit[c] = bml_ssc__take(base, &used, nx);
    blob->slots = bml_ssc__take(base, &used, (ptrdiff_t)BML_SSC__SLOTS * BML_SSC__COMPONENTS * nx);
    return used;
}

BML_SSC_DEF int(bml_ssc_blob_create)(bml_ssc_blob **out, const bml_ssc *tables, char *why) {
    if (out) {
        *out = NULL;
    }
    if (!out || !tables) {
        return bml_ssc__say(why, BML_SSC_BAD_ARGUMENT);
    }
    bml_ssc_blob *blob;
    blob = (bml_ssc_blob *)BML_SSC_MALLOC(sizeof *blob);
    if (!blob) {
        return bml_ssc__say(why, BML_SSC_NO_MEMORY);
    }
    memset(blob, 0, sizeof *blob);
    blob->tab = tables;
    blob->memory = bml_ssc__doubles(bml_ssc__layout_blob(blob, NULL));
    if (!blob->memory) {
        BML_SSC_FREE(blob);
        return bml_ssc__say(why, BML_SSC_NO_MEMORY);
    }
    bml_ssc__layout_blob(blob, blob->memory);
    *out = blob;
    return bml_ssc__say(why, BML_SSC_OK);
}

BML_SSC_DEF void bml_ssc_blob_free(bml_ssc_blob *blob) {
    if (!blob) {
        return;
    }
    BML_SSC_FREE(blob->memory);
    BML_SSC_FREE(blob);
}

/* >> fields ----------------------------------------------------------------------------------------------------------
   A geometric field is a list of beams, each an energy density of photons that run at one angle to the jet; the same
   list serves losses, the view of the observer, and absorption on the way. */

#define BML_SSC__BEAMS 64
#define BML_SSC__LINES 16

typedef struct bml_ssc__beam {
    double away;  /* 1 - mu of (15)-(18): 0 runs along the jet, 2 against it */
    double u;     /* energy density [erg cm^-3], black hole's frame */
    double scale; /* kT, or the energy of a monochromatic photon [m_e c^2]; 1 for a shell, which has lines */
} bml_ssc__beam;

static int bml_ssc__geometric(const bml_ssc_external *e) {
    return (int)e->kind >= BML_SSC_FIELD_SHELL && (int)e->kind <= BML_SSC_FIELD_CMB;
}

/* kT or 2.7 kT in units of m_e c^2, as the field's photons are drawn. */
static double bml_ssc__heat_scale(const bml_ssc_external *e, double T) {
    double theta = BML_SSC__K * T / BML_SSC__MC2;
    return e->monochromatic ? 2.7 * theta : theta;
}

static int bml_ssc__is_thermal(const bml_ssc_external *e) {
    return e->kind != BML_SSC_FIELD_SHELL && !e->monochromatic;
}

/* Steps of equal ln x between the nearest and the farthest element: dmu_R/x^2 = dln x/(r R), so that the pole at r = R
   does no harm; nearer than a thousandth of R the shell's thickness would count. */
static int bml_ssc__shell_beams(bml_ssc__beam *beam, const bml_ssc_external *e, double r) {
    double R = e->radius;
    double nearest = BML_SSC__MAX(fabs(R - r), 1e-3 * R);
    double step = log((R + r) / nearest) / BML_SSC__BEAMS;
    double u = e->fraction * e->L_disc / (8 * BML_SSC__PI * BML_SSC__C * r * R) * step;
    double ratio = exp(step);
    double x = nearest / sqrt(ratio);
    for (int i = 0; i < BML_SSC__BEAMS; i++) {
        x *= ratio;
        double away = (R - r + x) * (R + r - x) / (2 * r * x);
        beam[i].away = BML_SSC__MIN(BML_SSC__MAX(away, 0.0), 2.0);
        beam[i].u = u;
        beam[i].scale = 1;
    }
    return BML_SSC__BEAMS;
}

static int bml_ssc__ring_beams(bml_ssc__beam *beam, const bml_ssc_external *e, double r) {
    double x = sqrt(e->radius * e->radius + r * r);
    beam->away = e->radius / x * e->radius / (x + r);
    beam->u = e->fraction * e->L_disc / (4 * BML_SSC__PI * BML_SSC__C * x * x);
    beam->scale = bml_ssc__heat_scale(e, e->temperature);
    return 1;
}

/* Flux of one side of the disc at R [erg cm^-2 s^-1]. */
static double bml_ssc__disc_flux(double R, double R_in, const bml_ssc_external *e) {
    double GM = BML_SSC__G_M_SUN * e->M_bh;
    double mdot = e->L_disc / (e->efficiency * BML_SSC__C * BML_SSC__C);
    double edge = BML_SSC__MAX(1 - sqrt(R_in / R), 0.0);
    return 3 * GM * mdot * edge / (8 * BML_SSC__PI * R * R * R);
}

static double bml_ssc__disc_temperature(double flux) {
    return sqrt(sqrt(4 * flux / (BML_SSC__A_RAD * BML_SSC__C)));
}

static int bml_ssc__disc_beams(bml_ssc__beam *beam, const bml_ssc_external *e, double r) {
    double R_g = BML_SSC__G_M_SUN * e->M_bh / (BML_SSC__C * BML_SSC__C);
    double R_in = e->r_in * R_g;
    double step = log(e->r_out / e->r_in) / BML_SSC__BEAMS;
    for (int i = 0; i < BML_SSC__BEAMS; i++) {
        double R = R_in * exp((i + 0.5) * step);
        double x = sqrt(R * R + r * r);
        double flux = bml_ssc__disc_flux(R, R_in, e);
        double ring = R / x * R / x * step; /* |dmu|/mu */
        beam[i].away = R / x * R / (x + r);
        beam[i].u = flux / BML_SSC__C * ring; /* 2 pi du/dOmega of (17) is the flux over c */
        beam[i].scale = bml_ssc__heat_scale(e, bml_ssc__disc_temperature(flux));
    }
    return BML_SSC__BEAMS;
}

static int bml_ssc__cmb_beams(bml_ssc__beam *beam, const bml_ssc_external *e) {
    double T = 2.72548 * (1 + e->redshift);
    for (int i = 0; i < BML_SSC__BEAMS; i++) {
        beam[i].away = 2 * (i + 0.5) / BML_SSC__BEAMS;
        beam[i].u = BML_SSC__A_RAD * T * T * T * T / BML_SSC__BEAMS;
        beam[i].scale = bml_ssc__heat_scale(e, T);
    }
    return BML_SSC__BEAMS;
}

/* beam [BEAMS] at distance r; returns how many. */
static int bml_ssc__beams(bml_ssc__beam *beam, const bml_ssc_external *e, double r) {
    switch (e->kind) {
    case BML_SSC_FIELD_SHELL: return bml_ssc__shell_beams(beam, e, r);
    case BML_SSC_FIELD_RING: return bml_ssc__ring_beams(beam, e, r);
    case BML_SSC_FIELD_DISC: return bml_ssc__disc_beams(beam, e, r);
    case BML_SSC_FIELD_CMB: return bml_ssc__cmb_beams(beam, e);
    default: return 0;
    }
}

/* D of (19) for a beam; 1 - beta without cancellation. */
static double bml_ssc__beam_doppler(double away, double Gamma) {
    double beta = sqrt(1 - 1 / (Gamma * Gamma));
    return Gamma * (1 / (Gamma * Gamma * (1 + beta)) + beta * away);
}

/* Photons that one beam is made of: energies in units of its scale, and shares of its energy; [LINES]. */
static int bml_ssc__lines(double *energy, double *share, const bml_ssc_external *e) {
    energy[0] = 1;
    share[0] = 1;
    if (e->kind != BML_SSC_FIELD_SHELL) {
        return 1;
    }
    energy[0] = BML_SSC__H * BML_SSC__C / (1215.67e-8 * BML_SSC__MC2); /* Lyman alpha */
    if (e->n_table == 0) {
        return 1;
    }
    double sum = 0;
    for (int i = 0; i < e->n_table; i++)
        sum += e->table_n[i];
    for (int i = 0; i < e->n_table; i++) {
        energy[i] = e->table_x[i];
        share[i] = e->table_n[i] / sum;
    }
    return e->n_table;
}

static int bml_ssc__table_is_bad(const double *at, const double *value, int n) {
    if (!at || !value || n < 2) {
        return 1;
    }
    for (int i = 0; i < n; i++) {
        if (!(at[i] > 0 && at[i] < HUGE_VAL)) {
            return 1;
        }
        if (!(value[i] >= 0 && value[i] < HUGE_VAL)) {
            return 1;
        }
        if (i > 0 && !(at[i] > at[i - 1])) {
            return 1;
        }
    }
    return 0;
}

/* Checks of the lines of a shell. */
static int bml_ssc__check_lines(char *why, const bml_ssc_external *e) {
    if (e->n_table == 0) {
        return BML_SSC_OK;
    }
    if (e->n_table < 0 || e->n_table > BML_SSC__LINES || !e->table_x || !e->table_n) {
        return bml_ssc__fail(why, BML_SSC_SPECTRUM, "external field: n_table = %d: at most %d lines", e->n_table,
                             BML_SSC__LINES);
    }
    double sum = 0;
    int bad = 0;
    for (int i = 0; i < e->n_table; i++) {
        bad += !(e->table_x[i] > 1e-12 && e->table_x[i] < 1 && e->table_n[i] >= 0);
        sum += e->table_n[i];
    }
    if (!bad && sum > 0 && sum < HUGE_VAL) {
        return BML_SSC_OK;
    }
    return bml_ssc__fail(why, BML_SSC_SPECTRUM, "external field: lines need energies in [1e-12, 1] and luminosities");
}

/* Defaults and checks of a geometric field. */
static int bml_ssc__check_geometry(char *why, bml_ssc_external *e) {
#define BML_SSC__OF(member, lo, hi, fallback, zero) \
    { "external field: " #member, offsetof(bml_ssc_external, member), lo, hi, fallback, BML_SSC__##zero }
    static const bml_ssc__rule rules[] = {
        BML_SSC__OF(redshift, 0, 1e4, 0, ZERO),
        BML_SSC__OF(L_disc, 1e30, 1e50, 0, REQUIRED),
        BML_SSC__OF(fraction, 1e-10, 1, 0, REQUIRED),
        BML_SSC__OF(radius, 1e12, 1e24, 0, REQUIRED),
        BML_SSC__OF(temperature, 1e-3, 1e12, 0, REQUIRED),
        BML_SSC__OF(L_disc, 1e30, 1e50, 0, REQUIRED),
        BML_SSC__OF(M_bh, 1, 1e12, 0, REQUIRED),
        BML_SSC__OF(efficiency, 1e-6, 1, 1.0 / 12, DEFAULT),
        BML_SSC__OF(r_in, 1, 1e6, 6, DEFAULT),
        BML_SSC__OF(r_out, 1, 1e8, 1000, DEFAULT),
    };
#undef BML_SSC__OF
    int first = 0;
    int count = 1; /* CMB */
    if (e->kind == BML_SSC_FIELD_SHELL || e->kind == BML_SSC_FIELD_RING) {
        first = 1;
        count = e->kind == BML_SSC_FIELD_RING ? 4 : 3;
    }
    if (e->kind == BML_SSC_FIELD_DISC) {
        first = 5;
        count = 5;
    }
    int status = bml_ssc__apply_rules(e, rules + first, count, why, BML_SSC_SPECTRUM);
    if (status) return status;
    if (e->kind == BML_SSC_FIELD_SHELL) {
        return bml_ssc__check_lines(why, e);
    }
    if (e->kind == BML_SSC_FIELD_DISC && !(e->r_out > e->r_in)) {
        return bml_ssc__fail(why, BML_SSC_SPECTRUM, "external field: r_out = %g: must be above r_in = %g", e->r_out,
                             e->r_in);
    }
    return BML_SSC_OK;
}

/* Log-log interpolation in a table, 0 outside. */
static double bml_ssc__table(double y, const double *at, const double *value, int n) {
    int lo = 0;
    int hi = n - 1;
    if (!(y >= at[0] && y <= at[n - 1])) {
        return 0;
    }
    while (hi - lo > 1) {
        int mid = (lo + hi) / 2;
        if (at[mid] <= y) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    if (!(value[lo] > 0 && value[hi] > 0)) {
        return 0;
    }
    double slope = log(value[hi] / value[lo]) / log(at[hi] / at[lo]);
    return value[lo] * exp(slope * log(y / at[lo]));
}

/* Shape of a photon density n(x) that is given in the blob's frame. */
static double bml_ssc__field(const bml_ssc_external *e, double x) {
    if (e->kind == BML_SSC_FIELD_TABLE) {
        return bml_ssc__table(x, e->table_x, e->table_n, e->n_table);
    }
    if (e->kind == BML_SSC_FIELD_POWER_LAW) {
        int inside = x >= e->x_min && x <= e->x_max;
        return inside ? exp(-e->index * log(x / e->x_min)) : 0;
    }
    double y = x * BML_SSC__MC2 / (BML_SSC__K * e->temperature);
    return y < 700 ? x * x / expm1(y) : 0;
}

/* Range of x, in the blob, of a geometric field. */
static void bml_ssc__beam_range(const bml_ssc_external *e, const bml_ssc_source *s, double *lo, double *hi) {
    bml_ssc__beam beam[BML_SSC__BEAMS];
    double energy[BML_SSC__LINES];
    double share[BML_SSC__LINES];
    int n = bml_ssc__beams(beam, e, s->distance);
    int n_lines = bml_ssc__lines(energy, share, e);
    int thermal = bml_ssc__is_thermal(e);
    *lo = HUGE_VAL;
    *hi = 0;
    for (int i = 0; i < n; i++)
        for (int line = 0; line < n_lines; line++) {
            double x = bml_ssc__beam_doppler(beam[i].away, s->Gamma) * beam[i].scale * energy[line];
            *lo = BML_SSC__MIN(*lo, x * (thermal ? 1e-3 : 1e-2));
            *hi = BML_SSC__MAX(*hi, x * (thermal ? 40 : 1));
        }
}

/* Checks of a field, and the range of x that matters in it. */
static int bml_ssc__field_range(char *why, bml_ssc_external *e, const bml_ssc_source *s, double *lo, double *hi) {
    int kind = (int)e->kind;
    double u = e->energy_density;
    *lo = e->x_min;
    *hi = e->x_max;
    if (kind < 0 || kind > BML_SSC_FIELD_CMB) {
        return bml_ssc__fail(why, BML_SSC_SPECTRUM, "external field: kind = %d is none", kind);
    }
    if (bml_ssc__geometric(e)) {
        int status = bml_ssc__check_geometry(why, e);
        if (!status) {
            bml_ssc__beam_range(e, s, lo, hi);
        }
        return status;
    }
    if (!(u >= 0 && u < 1e30) || (u == 0 && kind != BML_SSC_BLACK_BODY)) {
        return bml_ssc__fail(why, BML_SSC_SPECTRUM, "external field: energy_density = %g: must be in (0, 1e30)", u);
    }
    if (kind == BML_SSC_BLACK_BODY) {
        double theta = BML_SSC__K * e->temperature / BML_SSC__MC2;
        if (!(e->temperature > 0 && e->temperature < 1e12)) {
            return bml_ssc__fail(why, BML_SSC_SPECTRUM, "external field: temperature = %g: must be in (0, 1e12)",
                                 e->temperature);
        }
        *lo = 1e-3 * theta;
        *hi = 40 * theta;
    }
    if (kind == BML_SSC_FIELD_POWER_LAW) {
        if (!(e->x_min > 0 && e->x_max > e->x_min && e->x_max < 1e10)) {
            return bml_ssc__fail(why, BML_SSC_SPECTRUM,
                                 "external field: x_min = %g, x_max = %g: must be 0 < x_min < x_max", e->x_min,
                                 e->x_max);
        }
        if (!(fabs(e->index) <= 10)) {
            return bml_ssc__fail(why, BML_SSC_SPECTRUM, "external field: index = %g: must be in [-10, 10]", e->index);
        }
    }
    if (kind == BML_SSC_FIELD_TABLE) {
        if (bml_ssc__table_is_bad(e->table_x, e->table_n, e->n_table)) {
            return bml_ssc__fail(why, BML_SSC_SPECTRUM,
                                 "external field: n_table = %d: table_x must grow, table_n be >= 0", e->n_table);
        }
        *lo = e->table_x[0];
        *hi = e->table_x[e->n_table - 1];
    }
    return BML_SSC_OK;
}

/* Adds the energy u at photon energy x to heap [nx], the energy by node: between two nodes, so that both the energy and
   the number of photons are kept; what lies below the grid is lost. */
static void bml_ssc__deposit(double *heap, double u, double x, const bml_ssc_blob *blob) {
    double hx = blob->tab->r * blob->tab->h;
    double at = (log(x) - blob->lx0) / hx;
    if (!(at >= 0 && at < blob->nx - 1)) {
        return;
    }
    int k = (int)at;
    double lo = 1 / blob->x[k];
    double hi = 1 / blob->x[k + 1];
    double up = (lo - 1 / x) / (lo - hi);
    heap[k] += u * (1 - up);
    heap[k + 1] += u * up;
}

/* Photons per x from the energies of heap, each spread as Planck's law if thermal: n += shape * heap/(x^2 hx). */
static void bml_ssc__spread(double *n, const double *heap, int thermal, const bml_ssc_blob *blob) {
    double hx = blob->tab->r * blob->tab->h;
    double unit = BML_SSC__SIGMA_T * blob->src.R / (BML_SSC__MC2 * hx);
    int lo = thermal ? -(int)(log(1e3) / hx) : 0;
    int hi = thermal ? (int)(log(40.0) / hx) : 0;
    for (int m = lo; m <= hi; m++) {
        double share = thermal ? bml_ssc__planck_cell(exp(m * hx), hx) : 1;
        int first = BML_SSC__MAX(0, -m);
        int end = BML_SSC__MIN(blob->nx, blob->nx - m);
        for (int k = first; k < end; k++)
            n[k + m] += unit * share * heap[k] / blob->x2[k + m];
    }
}

/* One geometric field: its photons in the blob into n_ext, and what the observer meets of them into n_iso, or n_view:
   photons of x that run at psi to his electrons stand for (1 - cos psi)/2 photons of x (1 - cos psi)/2 that come
   head-on, so that n/x is kept and G = 4 gamma x. */
static void bml_ssc__add_geometry(bml_ssc_blob *blob, const bml_ssc_external *e) {
    const int azimuths = 12;
    bml_ssc__beam beam[BML_SSC__BEAMS];
    double energy[BML_SSC__LINES];
    double share[BML_SSC__LINES];
    int n = bml_ssc__beams(beam, e, blob->src.distance);
    int n_lines = bml_ssc__lines(energy, share, e);
    double Gamma = blob->src.Gamma;
    double beta = sqrt(1 - 1 / (Gamma * Gamma));
    double mu_s = beta > 0 ? (blob->src.delta / Gamma - 1) / beta : 0;
    double sin_s = sqrt(BML_SSC__MAX(0.0, 1 - mu_s * mu_s));
    double *heap = blob->emit;
    double *heap_view = blob->target;
    bml_ssc__clear(heap, blob->nx);
    bml_ssc__clear(heap_view, blob->nx);
    for (int i = 0; i < n * n_lines; i++) {
        const bml_ssc__beam *b = &beam[i / n_lines];
        double D = bml_ssc__beam_doppler(b->away, Gamma);
        double away = b->away * (1 + beta) * Gamma / D; /* 1 - mu', from 1 - beta mu = D/Gamma */
        double sin_mu = sqrt(BML_SSC__MAX(0.0, away * (2 - away)));
        double x = D * b->scale * energy[i % n_lines];
        double u = D * D * b->u * share[i % n_lines];
        bml_ssc__deposit(heap, u, x, blob);
        for (int j = 0; j < azimuths && !e->isotropic; j++) {
            double cos_phi = cos(BML_SSC__PI * (j + 0.5) / azimuths);
            double s = 0.5 * (1 - (1 - away) * mu_s - sin_mu * sin_s * cos_phi);
            if (s > 1e-9) {
                bml_ssc__deposit(heap_view, u * s * s / azimuths, x * s, blob);
            }
        }
    }
    int thermal = bml_ssc__is_thermal(e);
    bml_ssc__spread(blob->n_ext, heap, thermal, blob);
    if (e->isotropic) {
        bml_ssc__spread(blob->n_iso, heap, thermal, blob);
    } else {
        bml_ssc__spread(blob->n_view, heap_view, thermal, blob);
    }
}

/* One field that is given in the blob's frame, normalised on the grid to its energy density. */
static int bml_ssc__add_isotropic(bml_ssc_blob *blob, const bml_ssc_external *e) {
    const int pieces = 8;
    double hx = blob->tab->r * blob->tab->h;
    double u = e->energy_density;
    double sum = 0;
    if (u == 0) {
        u = BML_SSC__A_RAD * pow(e->temperature, 4);
    }
    for (int k = 0; k < blob->nx; k++) { /* average over the cell, so that edges between nodes count in part */
        double mean = 0;
        for (int i = 0; i < pieces; i++) {
            double x = blob->x[k] * exp(hx * ((i + 0.5) / pieces - 0.5));
            mean += x * x * bml_ssc__field(e, x) / pieces;
        }
        blob->emit[k] = mean / blob->x2[k];
        sum += hx * mean;
    }
    if (!(sum > 0 && sum < HUGE_VAL)) {
        return bml_ssc__fail(blob->message, BML_SSC_SPECTRUM, "external field: no energy on the grid");
    }
    u *= BML_SSC__SIGMA_T * blob->src.R / BML_SSC__MC2;
    for (int k = 0; k < blob->nx; k++) {
        blob->n_ext[k] += blob->emit[k] * u / sum;
        blob->n_iso[k] += blob->emit[k] * u / sum;
    }
    return BML_SSC_OK;
}

/* Adds all external fields. */
static int bml_ssc__add_fields(bml_ssc_blob *blob) {
    bml_ssc__clear(blob->n_ext, blob->nx);
    bml_ssc__clear(blob->n_iso, blob->nx);
    bml_ssc__clear(blob->n_view, blob->nx);
    for (int f = 0; f < blob->src.n_external; f++) {
        bml_ssc_external e = blob->src.external[f];
        if (!bml_ssc__geometric(&e)) {
            int status = bml_ssc__add_isotropic(blob, &e);
            if (status) return status;
            continue;
        }
        bml_ssc__check_geometry(NULL, &e); /* puts the defaults in */
        bml_ssc__add_geometry(blob, &e);
        if (!e.isotropic) {
            blob->active[BML_SSC__VIEW] = 1;
        }
    }
    return BML_SSC_OK;
}

/* >> source ----------------------------------------------------------------------------------------------------------
   Defaults and checks in one place, then the grids and the kernels of this source. */

/* Members that only some sources need. */
static int bml_ssc__resolve_place(bml_ssc_blob *blob) {
#define BML_SSC__OF(member, lo, hi, fallback, zero) \
    { #member, offsetof(bml_ssc_source, member), lo, hi, fallback, BML_SSC__##zero }
    static const bml_ssc__rule rules[] = {
        BML_SSC__OF(Gamma, 1, 1e4, 0, REQUIRED),
        BML_SSC__OF(distance, 1e10, 1e26, 0, REQUIRED),
        BML_SSC__OF(gamma_break, 1e-3, 1e12, 0, REQUIRED),
    };
    bml_ssc_source *s = &blob->src;
    int geometric = 0;
    int near_hole = 0; /* all but the CMB depend on the distance */
    for (int i = 0; i < s->n_external; i++) {
        int is = bml_ssc__geometric(&s->external[i]);
        geometric += is;
        near_hole += is && s->external[i].kind != BML_SSC_FIELD_CMB;
    }
    int shaped =
        s->injection == BML_SSC_BROKEN || s->injection == BML_SSC_LOG_PARABOLA || s->injection == BML_SSC_CUTOFF;
    int status = BML_SSC_OK;
    if (geometric) {
        status = bml_ssc__apply_rules(s, rules, 1, blob->message, BML_SSC_PARAMETER);
    }
    if (!status && near_hole) {
        status = bml_ssc__apply_rules(s, rules + 1, 1, blob->message, BML_SSC_PARAMETER);
    }
    if (!status && shaped) {
        status = bml_ssc__apply_rules(s, rules + 2, 1, blob->message, BML_SSC_PARAMETER);
    }
    if (status || !geometric) {
        return status;
    }
    double fastest = s->Gamma + sqrt(s->Gamma * s->Gamma - 1);
    if (s->delta == 0) {
        s->delta = s->Gamma;
    }
    if (s->delta >= 1 / fastest * (1 - 1e-12) && s->delta <= fastest * (1 + 1e-12)) {
        return BML_SSC_OK;
    }
    return bml_ssc__fail(blob->message, BML_SSC_PARAMETER, "delta = %g: at Gamma = %g it must be in [%g, %g]", s->delta,
                         s->Gamma, 1 / fastest, fastest);
}

/* Enumerations and counts. */
static int bml_ssc__resolve_choices(bml_ssc_blob *blob) {
    const bml_ssc_source *s = &blob->src;
    char *why = blob->message;
    const struct {
        const char *name;
        int value;
        int last;
    } choices[] = {{"injection", (int)s->injection, BML_SSC_TABLE},
                   {"self_absorption", (int)s->self_absorption, BML_SSC_SSA_HEATING},
                   {"photon_escape", (int)s->photon_escape, BML_SSC_SPHERE}};
    for (int i = 0; i < 3; i++)
        if (choices[i].value < 0 || choices[i].value > choices[i].last) {
            return bml_ssc__fail(why, BML_SSC_PARAMETER, "%s = %d: must be in [0, %d]", choices[i].name,
                                 choices[i].value, choices[i].last);
        }
    if (s->n_external < 0 || (s->n_external > 0 && !s->external)) {
        return bml_ssc__fail(why, BML_SSC_BAD_ARGUMENT, "n_external = %d: no such fields", s->n_external);
    }
    if (s->injection == BML_SSC_TABLE && bml_ssc__table_is_bad(s->table_gamma, s->table_q, s->n_table)) {
        return bml_ssc__fail(why, BML_SSC_SPECTRUM, "n_table = %d: table_gamma must grow, table_q be >= 0", s->n_table);
    }
    return BML_SSC_OK;
}

/* The compactness, from L_e when that is given. */
static int bml_ssc__resolve_power(bml_ssc_blob *blob) {
    bml_ssc_source *s = &blob->src;
    char *why = blob->message;
    if (s->L_e == 0 && s->compactness == 0) {
        return bml_ssc__fail(why, BML_SSC_PARAMETER, "compactness = 0, L_e = 0: one of them is required");
    }
    if (s->L_e == 0) {
        return BML_SSC_OK;
    }
    if (s->compactness != 0) {
        return bml_ssc__fail(why, BML_SSC_PARAMETER, "L_e = %g, compactness = %g: give one of them", s->L_e,
                             s->compactness);
    }
    if (!(s->L_e > 0 && s->L_e < HUGE_VAL)) {
        return bml_ssc__fail(why, BML_SSC_PARAMETER, "L_e = %g: must be positive and finite", s->L_e);
    }
    s->compactness = BML_SSC__SIGMA_T * s->L_e / (4 * BML_SSC__PI * s->R * BML_SSC__MC2 * BML_SSC__C);
    if (s->compactness >= 1e-20 && s->compactness <= 1e3) {
        return BML_SSC_OK;
    }
    return bml_ssc__fail(why, BML_SSC_PARAMETER, "L_e = %g: makes compactness = %g, which must be in [1e-20, 1e3]",
                         s->L_e, s->compactness);
}

static int bml_ssc__resolve(bml_ssc_blob *blob, const bml_ssc_source *source) {
    static const bml_ssc__rule rules[] = {
        BML_SSC__OF(R, 1e8, 1e22, 0, REQUIRED),
        BML_SSC__OF(B, 1e-8, 1e6, 0, REQUIRED),
        BML_SSC__OF(gamma_min, 1, 1e10, 0, REQUIRED),
        BML_SSC__OF(gamma_max, 1, 1e15, 0, REQUIRED),
        BML_SSC__OF(compactness, 1e-20, 1e3, 0, ZERO), /* or L_e */
        BML_SSC__OF(p, -10, 10, 0, ZERO),
        BML_SSC__OF(t_end, 1e-300, 1e6, 5, DEFAULT),
        BML_SSC__OF(electron_escape, 1e-3, 1e6, 1, DEFAULT),
        BML_SSC__OF(expansion_speed, 0, 1, 0, ZERO),
        BML_SSC__OF(field_index, -10, 10, 0, ZERO),
        BML_SSC__OF(gamma_break, 1e-3, 1e12, 0, ZERO),
        BML_SSC__OF(p2, -10, 10, 0, ZERO),
        BML_SSC__OF(curvature, -10, 10, 0, ZERO),
        BML_SSC__OF(gamma_top, 1, 1e15, 0, ZERO),
        BML_SSC__OF(Gamma, 1, 1e4, 0, ZERO),
        BML_SSC__OF(distance, 1e10, 1e26, 0, ZERO),
        BML_SSC__OF(delta, 1e-4, 1e6, 0, ZERO),
    };
#undef BML_SSC__OF
    bml_ssc_source *s = &blob->src;
    *s = *source;
    int n = (int)(sizeof rules / sizeof *rules);
    int status = bml_ssc__apply_rules(s, rules, n, blob->message, BML_SSC_PARAMETER);
    if (!status) {
        status = bml_ssc__resolve_power(blob);
    }
    if (status) return status;
    if (!(s->gamma_max > s->gamma_min)) {
        return bml_ssc__fail(blob->message, BML_SSC_ORDER, "gamma_max = %g: must be above gamma_min = %g", s->gamma_max,
                             s->gamma_min);
    }
    if (s->gamma_top == 0 && s->gamma_max > 1e10) {
        return bml_ssc__fail(blob->message, BML_SSC_PARAMETER, "gamma_max = %g: must be in [1, 1e10] without gamma_top",
                             s->gamma_max);
    }
    if (s->gamma_top == 0) {
        s->gamma_top = s->gamma_max;
    }
    if (s->gamma_top < s->gamma_max) {
        return bml_ssc__fail(blob->message, BML_SSC_PARAMETER, "gamma_top = %g: must not be below gamma_max = %g",
                             s->gamma_top, s->gamma_max);
    }
    status = bml_ssc__resolve_choices(blob);
    return status ? status : bml_ssc__resolve_place(blob);
}

/* Shape of the injection at gamma; not normalised. */
static double bml_ssc__shape(const bml_ssc_source *s, double gamma) {
    if (s->injection == BML_SSC_POWER_LAW) {
        return exp(-s->p * log(gamma / s->gamma_min));
    }
    if (s->injection == BML_SSC_TABLE) {
        return bml_ssc__table(gamma, s->table_gamma, s->table_q, s->n_table);
    }
    double y = log(gamma / s->gamma_break);
    double index = s->p;
    if (s->injection == BML_SSC_BROKEN && y >= 0) {
        index = s->p2;
    }
    if (s->injection == BML_SSC_LOG_PARABOLA) {
        index = s->p + s->curvature * y / BML_SSC__LN10;
    }
    double fall = s->injection == BML_SSC_CUTOFF ? gamma / s->gamma_break : 0;
    return exp(-index * y - fall);
}

/* Energy int gamma Q dgamma between two Lorentz factors: a closed form for the power law, else Gauss-Legendre. */
static double bml_ssc__injected_energy(const bml_ssc_source *s, double lo, double hi) {
    double width = log(hi / lo);
    if (s->injection == BML_SSC_POWER_LAW) {
        double y = (2 - s->p) * width;
        double scale = bml_ssc__shape(s, lo) * lo * lo;
        return scale * width * (fabs(y) < 1e-8 ? 1 + 0.5 * y : expm1(y) / y); /* p = 2: the logarithm */
    }
    double sum = 0;
    double mid = 0.5 * log(lo * hi);
    for (int i = 0; i < 8; i++) {
        double node = i & 1 ? bml_ssc__gauss_x[i / 2] : -bml_ssc__gauss_x[i / 2];
        double gamma = exp(mid + 0.5 * width * node);
        sum += 0.5 * width * bml_ssc__gauss_w[i / 2] * gamma * gamma * bml_ssc__shape(s, gamma);
    }
    return sum;
}

/* Fills Q [ng], the number injected per cell and R/c. Converged grid: the energy of each cell is exact. ATHENA: whole
   nodes inside the limits with the norm of the true limits. */
static int bml_ssc__inject(bml_ssc_blob *blob) {
    const bml_ssc_source *s = &blob->src;
    double total = 0;
    double half = exp(0.5 * blob->tab->h);
    double lo_log = log10(s->gamma_min) - 1e-9;
    double hi_log = log10(s->gamma_max) + 1e-9;
    int athena = blob->tab->grid == BML_SSC_ATHENA;
    for (int i = 0; i < blob->ng; i++) {
        double gamma = blob->gamma[i];
        double lo = BML_SSC__MAX(gamma / half, s->gamma_min);
        double hi = s->gamma_max;
        if (i + 1 < blob->ng) {
            hi = BML_SSC__MIN(gamma * half, s->gamma_max);
        }
        double energy = hi > lo ? bml_ssc__injected_energy(s, lo, hi) : 0;
        total += energy;
        blob->Q[i] = energy / gamma;
        if (!athena) {
            continue;
        }
        int inside = log10(gamma) >= lo_log && log10(gamma) <= hi_log;
        blob->Q[i] = inside ? bml_ssc__shape(s, gamma) * blob->width[i] : 0;
    }
    if (!(total > 0 && total < HUGE_VAL)) {
        return bml_ssc__fail(blob->message, BML_SSC_SPECTRUM,
                             "injected energy = %g: the injection has none between gamma_min and gamma_max", total);
    }
    for (int i = 0; i < blob->ng; i++)
        blob->Q[i] *= 3 * s->compactness / total; /* (3) */
    return BML_SSC_OK;
}

/* Lay the grids: anchored at gamma_top (converged) or at powers of ten and at b (ATHENA). */
static void bml_ssc__grids(bml_ssc_blob *blob, double x_lowest) {
    const bml_ssc *tab = blob->tab;
    double h = tab->h;
    double top = log(blob->src.gamma_top);
    int athena = tab->grid == BML_SSC_ATHENA;
    if (athena) {
        blob->lg0 = -h;
        blob->ng = bml_ssc__floor((top - blob->lg0) / h + 1e-8) + 1;
        blob->lx0 = log(blob->b) + 2 * h;
        blob->nx = bml_ssc__floor((top - blob->lx0) / (2 * h)) + 3;
        blob->e0 = bml_ssc__floor((blob->lx0 - blob->lg0) / h);
        blob->phi = (blob->lx0 - blob->lg0) / h - blob->e0;
    } else {
        blob->ng = (int)ceil(top / h - 1e-8);
        blob->lg0 = top - (blob->ng - 0.5) * h;
        blob->nx = (int)ceil((top - log(x_lowest)) / h);
        blob->lx0 = top - (blob->nx - 0.5) * h;
        blob->e0 = blob->ng - blob->nx;
        double G0 = (blob->lx0 + blob->lg0 + BML_SSC__LN4) / h;
        blob->phi = G0 - floor(G0);
    }
    double g0 = (blob->lx0 + blob->lg0 + BML_SSC__LN4) / h - blob->phi - tab->c;
    blob->g0 = bml_ssc__floor(g0 + 0.5);
    double half = exp(0.5 * h);
    for (int i = 0; i < blob->ng; i++) {
        double gamma = exp(blob->lg0 + h * i);
        blob->gamma[i] = gamma;
        blob->width[i] = athena ? h * gamma : gamma * half - BML_SSC__MAX(gamma / half, 1.0);
    }
    for (int i = 0; i < blob->nx; i++) {
        blob->x[i] = exp(blob->lx0 + tab->r * h * i);
        blob->x2[i] = blob->x[i] * blob->x[i];
    }
}

/* Synchrotron kernels on the lattice r k - 2 i: entry [parity][(index - syn_lo)/r]. They follow B, so a drive calls
   this again. norm: what makes each electron radiate (5) exactly on the ATHENA grid; 1 on the converged one. */
static void bml_ssc__kernels_synchrotron(bml_ssc_blob *blob) {
    const bml_ssc *tab = blob->tab;
    double h = tab->h;
    double y0 = blob->lx0 - 2 * blob->lg0 - log(1.5 * blob->b);
    double unit = 8 * blob->l_B / (9 * blob->b);
    int r = tab->r;
    blob->syn_lo = -2 * blob->ng - 2;
    int count = (r * blob->nx + 2 * blob->ng + 4) / r + 1;
    blob->syn_len = count;
    blob->syn_d_lo = bml_ssc__floor((log(BML_SSC__Y_LOW) - h - y0) / h) - 1;
    blob->syn_d_hi = bml_ssc__floor((log(BML_SSC__Y_HIGH) + h - y0) / h) + 1;
    const bml_ssc__line *lines[] = {&tab->syn, &tab->syn1, &tab->syn0};
    double *out[] = {blob->syn, blob->syn1, blob->syn0};
    int n = blob->src.self_absorption ? 3 : 2;
    double *flat = blob->scratch;
    for (int l = 0; l < n; l++) {
        bml_ssc__lattice(flat, lines[l], y0 + h * blob->syn_lo, h, 1, r * count);
        for (int d = 0; d < r * count; d++)
            out[l][d % r * count + d / r] = unit * flat[d];
    }
    for (int i = 0; i < blob->ng; i++) {
        blob->norm[i] = 1;
        if (tab->grid != BML_SSC_ATHENA) {
            continue;
        }
        const double *S = blob->syn + (-2 * i - blob->syn_lo) / r;
        double power = r * h * bml_ssc__dot(S, blob->x, blob->nx);
        double gamma = blob->gamma[i];
        blob->norm[i] = power > 0 ? 4.0 / 3 * blob->l_B * gamma * gamma / power : 0;
    }
}

/* f of all rows at the position g (in columns, not a whole number) of one parity: out [row_pad]. */
static void bml_ssc__f_between(double *out, const bml_ssc *tab, int parity, double g) {
    int column = bml_ssc__floor(g);
    double u = (g - column) * tab->n_phi;
    int phase = BML_SSC__MIN((int)u, tab->n_phi - 1);
    double w = u - phase;
    if (column < 0) {
        bml_ssc__clear(out, tab->row_pad); /* G too small for E >= 1e-3 */
        return;
    }
    if (column >= tab->cols) {
        column = tab->cols - 1; /* f is constant there */
        w = 0;
    }
    const double *f = bml_ssc__f_at(tab, phase, parity, column);
    const double *f_up = bml_ssc__f_at(tab, phase + 1, parity, column);
    for (int m = 0; m < tab->row_pad; m++)
        out[m] = f[m] + w * (f_up[m] - f[m]);
}

/* Compton kernels of this source. View, (20): f_psi/2 = d(G f)/dG, as the difference over the cell of a photon node. */
static void bml_ssc__kernels_compton(bml_ssc__compton *kernel, bml_ssc_blob *blob, int view) {
    const bml_ssc *tab = blob->tab;
    int r = tab->r;
    int per = tab->cols / r;
    double half = 0.5 * r;
    double up = exp(half * tab->h) / (2 * sinh(half * tab->h));
    double down = exp(-half * tab->h) / (2 * sinh(half * tab->h));
    double *high = blob->work; /* scratch */
    double *low = blob->miss;
    for (int row = 0; row < tab->row_pad; row += BML_SSC__ROWS) {
        int block = row / BML_SSC__ROWS;
        bml_ssc__block_span(&kernel->first_from[block], &kernel->flat_from[block], tab, row);
    }
    for (int line = 0; line < r * per; line++) {
        int parity = line / per;
        int column = line % per;
        int shift = r == 1 ? 0 : ((parity + blob->e0 + blob->g0 - tab->g_lo) & 1);
        double g = column * r + shift + blob->phi;
        double inverse_G = exp(-tab->h * (tab->g_lo + g + tab->c));
        float *out = kernel->f + (ptrdiff_t)line * tab->row_pad;
        bml_ssc__f_between(high, tab, parity, view ? g + half : g);
        if (view) {
            bml_ssc__f_between(low, tab, parity, g - half);
        }
        double *last = kernel->last + parity * tab->row_pad;
        for (int m = 0; m < tab->row_pad; m++) {
            int back = tab->row_pad - 1 - m;
            if (view) {
                high[m] = BML_SSC__MAX(0.0, up * high[m] - down * low[m]);
            }
            out[back] = (float)(high[m] * inverse_G * inverse_G);
            if (column == kernel->flat_from[m / BML_SSC__ROWS] - 1) {
                last[back] = high[m];
            }
        }
    }

    /* Thomson kernel by t = s - k: ln q = h (e0 - g0 - r t) + (phi_E - phi - c) h */
    int average = tab->grid == BML_SSC_CONVERGED;
    double hx = r * tab->h;
    double ln_q0 = tab->h * (blob->e0 - blob->g0 - tab->c - (average ? blob->phi : 0));
    kernel->thomson_lo = bml_ssc__floor(ln_q0 / hx - 0.5);
    kernel->flat = average ? sinh(hx) / hx : 1; /* q -> 0 */
    double half_cell = exp(0.5 * hx);
    for (int t = 0; t < kernel->window; t++) {
        double ln_q = ln_q0 - hx * (t + kernel->thomson_lo);
        double q = exp(ln_q);
        double f = bml_ssc__thomson_point(q, ln_q, view);
        if (average) {
            double above = bml_ssc__thomson_integral(q * half_cell, ln_q + 0.5 * hx, view);
            double beneath = bml_ssc__thomson_integral(q / half_cell, ln_q - 0.5 * hx, view);
            f = (above - beneath) / (q * q * hx);
        }
        kernel->thomson[t] = (float)(f * exp(-2 * hx * t)); /* n is x^2 n times this */
    }
    kernel->thomson[kernel->window] = 0;
}

/* All kernels of this source that do not follow B. */
static void bml_ssc__kernels(bml_ssc_blob *blob) {
    const bml_ssc *tab = blob->tab;
    double h = tab->h;
    int r = tab->r;

    bml_ssc__kernels_compton(&blob->compton, blob, 0);
    if (blob->active[BML_SSC__VIEW]) {
        bml_ssc__kernels_compton(&blob->view, blob, 1);
    }
    if (tab->grid == BML_SSC_CONVERGED) { /* (8) by i + j, from G_LOW on */
        double ln_G0 = h * (blob->g0 + blob->phi);
        int n = blob->ng + blob->nx;
        blob->loss_lo = bml_ssc__clamp((int)ceil((log(BML_SSC__G_LOW) - ln_G0) / h), 0, n);
        int lo = blob->loss_lo;
        double *ln_loss = blob->scratch;
        for (int t = 0; t < n + 32; t++) {
            blob->loss[t] = 0;
        }
        bml_ssc__lattice(ln_loss, &tab->loss, ln_G0 + h * lo, h, 1, n - lo);
        for (int t = lo; t < n; t++)
            blob->loss[t] = (float)exp(ln_loss[t - lo] - 2 * (ln_G0 + h * t));
    }
    if (blob->src.pair_production) {
        bml_ssc__lattice(blob->gg, &tab->gg, 2 * blob->lx0, h, r, 2 * blob->nx);
    }
}

BML_SSC_DEF void bml_ssc_source_from_row(bml_ssc_source *source, const double *row) {
    source->R = pow(10, row[0]);
    source->B = pow(10, row[1]);
    source->gamma_min = pow(10, row[2]);
    source->gamma_max = pow(10, row[3]);
    source->compactness = pow(10, row[4]);
    source->L_e = 0;
    source->p = row[5];
}

BML_SSC_DEF double bml_ssc_gamma_confined(double R, double B) {
    return BML_SSC__E * B * R / BML_SSC__MC2;
}

/* What the source's drive, or its expansion, says of time t. */
static void bml_ssc__drive(bml_ssc_drive *now, const bml_ssc_source *s, double t) {
    now->injection = 1;
    now->R = 1 + s->expansion_speed * t;
    now->B = s->expansion_speed > 0 ? pow(now->R, -s->field_index) : 1;
    if (s->drive) {
        s->drive(now, t, s->user);
    }
}

/* Sets b and l_B for the field B. ATHENA: its B_crit has four digits. */
static void bml_ssc__set_field(bml_ssc_blob *blob, double B) {
    int athena = blob->tab->grid == BML_SSC_ATHENA;
    blob->B_now = B;
    blob->b = B / (athena ? 4.414e13 : BML_SSC__B_CRIT);
    blob->l_B = BML_SSC__SIGMA_T * blob->src.R * B * B / (8 * BML_SSC__PI * BML_SSC__MC2);
}

/* Lowest photon energy of the grid, or an error: 0.1 b, or that of an external field. */
static int bml_ssc__lowest(double *x_lowest, bml_ssc_blob *blob) {
    double floor_x = pow(10, BML_SSC__LOG_X_LOW);
    *x_lowest = 0.1 * blob->b;
    for (int f = 0; f < blob->src.n_external; f++) {
        bml_ssc_external e = blob->src.external[f];
        double lo;
        double hi;
        int status = bml_ssc__field_range(blob->message, &e, &blob->src, &lo, &hi);
        if (status) return status;
        if (hi > 0.5 * blob->src.gamma_top) {
            return bml_ssc__fail(blob->message, BML_SSC_SPECTRUM,
                                 "external field: reaches x = %g, beyond half of gamma_max = %g", hi,
                                 blob->src.gamma_max);
        }
        *x_lowest = BML_SSC__MIN(*x_lowest, BML_SSC__MAX(lo, floor_x));
    }
    return BML_SSC_OK;
}

/* No electrons, no photons. */
static void bml_ssc__empty(bml_ssc_blob *blob) {
    double *electrons[] = {blob->M, blob->M1, blob->M2, blob->made, blob->guess, blob->wrong};
    double *photons[] = {blob->n, blob->n1, blob->kappa, blob->photons, blob->absorption, blob->seen};
    for (int i = 0; i < 6; i++) {
        bml_ssc__clear(electrons[i], blob->ng);
        bml_ssc__clear(photons[i], blob->nx);
    }
    for (int c = 0; c < BML_SSC__COMPONENTS; c++) {
        bml_ssc__clear(blob->comp[c], blob->nx);
        bml_ssc__clear(blob->comp1[c], blob->nx);
        bml_ssc__clear(blob->comp2[c], blob->nx);
    }
    for (int c = 0; c <= BML_SSC__COMPONENTS && blob->slots; c++)
        bml_ssc__clear(blob->lit[c], blob->nx);
    for (int k = 0; k < blob->nx; k++)
        blob->stay[k] = blob->src.photon_escape == BML_SSC_SPHERE ? 0.75 : 1;
    memset(blob->ledger, 0, sizeof blob->ledger);
    blob->n_slots = 0;
    blob->steps = 0;

    blob->next_slot = 0;
    blob->t = 0;
    blob->dt_last = 0;
}

BML_SSC_DEF int bml_ssc_begin(bml_ssc_blob *blob, const bml_ssc_source *source) {
    if (!blob || !source) {
        return BML_SSC_BAD_ARGUMENT;
    }
    blob->started = 0;
    blob->message[0] = 0;
    int status = bml_ssc__resolve(blob, source);
    if (status) return status;
    bml_ssc__set_field(blob, blob->src.B);
    double x_lowest;
    status = bml_ssc__lowest(&x_lowest, blob);
    if (status) return status;
    bml_ssc__grids(blob, x_lowest);
    memset(blob->active, 0, sizeof blob->active);
    blob->active[BML_SSC__SYN] = 1;
    blob->active[BML_SSC__SSC] = 1;
    blob->active[BML_SSC__EXT] = blob->src.n_external > 0;
    blob->active[BML_SSC__ADDED] = blob->src.exchange != NULL;
    status = bml_ssc__inject(blob);
    if (!status) {
        status = bml_ssc__add_fields(blob);
    }
    if (status) return status;
    bml_ssc__kernels_synchrotron(blob);
    bml_ssc__kernels(blob);
    bml_ssc__empty(blob);
    bml_ssc__drive(&blob->drive_last, &blob->src, 0);
    double R = blob->drive_last.R;
    blob->ln_R[0] = blob->ln_R[1] = R > 0 ? log(R) : 0;
    blob->started = 1;
    return BML_SSC_OK;
}

/* >> emission --------------------------------------------------------------------------------------------------------
   out [nx] = photons made per x and R/c by the electrons M [ng]. */

/* Each electron shines from y = Y_LOW to Y_HIGH; below, all tails y^(1/3) are one power law, summed downwards. */
static void bml_ssc__emit_synchrotron(double *BML_SSC__RESTRICT out, const bml_ssc_blob *blob) {
    int r = blob->tab->r;
    int nx = blob->nx;
    double *rise = blob->rise; /* where the tails begin */
    double decay = exp(-r * blob->tab->h / 3);
    bml_ssc__clear(out, nx);
    bml_ssc__clear(rise, nx);
    for (int i = 0; i < blob->ng; i++) {
        int d = -2 * i - blob->syn_lo;
        int at = d % r * blob->syn_len + d / r;
        const double *BML_SSC__RESTRICT S = blob->syn + at;
        const double *BML_SSC__RESTRICT S1 = blob->syn1 + at;
        double m = blob->M[i] * blob->norm[i];
        double m1 = m * blob->slope[i];
        int lo = (blob->syn_d_lo + 2 * i) / r;
        int hi = (blob->syn_d_hi + 2 * i) / r;
        if (!(m > 0) || hi < 0) {
            continue;
        }
        lo = bml_ssc__clamp(lo, 0, nx - 1);
        hi = bml_ssc__clamp(hi, 0, nx - 1);
        rise[lo] += m * S[lo] + m1 * S1[lo];
        for (int k = lo; k <= hi; k++)
            out[k] += m * S[k] + m1 * S1[k];
    }
    double tails = 0;
    for (int k = nx - 1; k >= 0; k--) {
        out[k] = (out[k] + tails) / blob->x[k]; /* from power to number */
        tails = (tails + rise[k]) * decay;
    }
}

/* sum [GROUP][ROWS] = f [count][pad] transposed times n, for electrons whose targets begin at n, n - 1, n - 2, n - 3:
   the product of one table with a Hankel matrix, so that a group shares each load of f. */
static void bml_ssc__rows(float *BML_SSC__RESTRICT sum, const float *BML_SSC__RESTRICT f,
                          const float *BML_SSC__RESTRICT n, int pad, int count) {
    bml_ssc__lanes s[2 * BML_SSC__GROUP];
    memset(s, 0, sizeof s);
    for (int col = 0; col < count; col++) {
        bml_ssc__lanes low;
        bml_ssc__lanes high;
        memcpy(&low, f, sizeof low);
        memcpy(&high, f + BML_SSC__LANES, sizeof high);
        BML_SSC__ADD(s[0], n[col], low);
        BML_SSC__ADD(s[1], n[col], high);
        BML_SSC__ADD(s[2], n[col - 1], low);
        BML_SSC__ADD(s[3], n[col - 1], high);
        BML_SSC__ADD(s[4], n[col - 2], low);
        BML_SSC__ADD(s[5], n[col - 2], high);
        BML_SSC__ADD(s[6], n[col - 3], low);
        BML_SSC__ADD(s[7], n[col - 3], high);
        f += pad;
    }
    memcpy(sum, s, sizeof s);
}

/* E >= 1e-3 for the electrons i, i + r, i + 2 r, i + 3 r: row m is at k = k0 - m, column 0 at j = j0, both for the
   first. */
static void bml_ssc__emit_group(double *BML_SSC__RESTRICT wide, const bml_ssc_blob *blob,
                                const bml_ssc__compton *kernel, int i) {
    const bml_ssc *tab = blob->tab;
    int r = tab->r;
    int pad = tab->row_pad;
    int parity = (i - blob->e0) & (r - 1);
    int k0 = (i - blob->e0 - parity) / r;
    int shift = r == 1 ? 0 : ((parity + blob->e0 + blob->g0 - tab->g_lo) & 1);
    int j0 = (tab->g_lo + shift - i - blob->g0) / r;
    const float *F = kernel->f + (ptrdiff_t)parity * (tab->cols / r) * pad;
    const float *n = blob->padded + BML_SSC__MARGIN + j0;
    float sum[BML_SSC__GROUP * BML_SSC__ROWS];
    for (int row = 0; row < pad; row += BML_SSC__ROWS) { /* rows stand from the last to the first */
        int at = pad - BML_SSC__ROWS - row;
        int flat = kernel->flat_from[row / BML_SSC__ROWS];
        int lo = BML_SSC__MAX(kernel->first_from[row / BML_SSC__ROWS], -j0);
        int hi = BML_SSC__MIN(flat, blob->nx - j0 + BML_SSC__GROUP - 1);
        memset(sum, 0, sizeof sum);
        if (hi > lo) {
            bml_ssc__rows(sum, F + lo * pad + at, n + lo, pad, hi - lo);
        }
        const double *last = kernel->last + parity * pad + at; /* f of all larger G */
        for (int e = 0; e < BML_SSC__GROUP && i + e * r < blob->ng; e++) {
            double gamma = blob->gamma[i + e * r];
            double weight = blob->work[i + e * r];
            double unit = 16 * gamma * gamma * blob->peak * weight; /* padded f/G^2 to n f */
            int beyond = j0 - e + flat;
            double rest = beyond < blob->nx ? weight * blob->suffix[BML_SSC__MAX(0, beyond)] : 0;
            double *BML_SSC__RESTRICT out = wide + k0 + e - row - BML_SSC__ROWS + 1;
            const float *own = sum + e * BML_SSC__ROWS;
            for (int m = 0; m < BML_SSC__ROWS; m++)
                out[m] += unit * (double)own[m];
            for (int m = 0; m < BML_SSC__ROWS && rest > 0; m++)
                out[m] += rest * last[m];
        }
    }
}

/* Sum over t of T_t P_(j + t), for the ROWS targets from P on: sum [ROWS]. */
static void bml_ssc__slide(float *BML_SSC__RESTRICT sum, const float *BML_SSC__RESTRICT T,
                           const float *BML_SSC__RESTRICT P, int count) {
    bml_ssc__lanes even[2];
    bml_ssc__lanes odd[2];
    memset(even, 0, sizeof even);
    memset(odd, 0, sizeof odd);
    for (int t = 0; t < count; t += 2) { /* T is padded by a zero */
        bml_ssc__lanes low;
        bml_ssc__lanes high;
        bml_ssc__lanes low_next;
        bml_ssc__lanes high_next;
        memcpy(&low, P + t, sizeof low);
        memcpy(&high, P + t + BML_SSC__LANES, sizeof high);
        memcpy(&low_next, P + t + 1, sizeof low);
        memcpy(&high_next, P + t + 1 + BML_SSC__LANES, sizeof high);
        BML_SSC__ADD(even[0], T[t], low);
        BML_SSC__ADD(even[1], T[t], high);
        BML_SSC__ADD(odd[0], T[t + 1], low_next);
        BML_SSC__ADD(odd[1], T[t + 1], high_next);
    }
    float more[BML_SSC__ROWS];
    memcpy(sum, even, sizeof even);
    memcpy(more, odd, sizeof odd);
    for (int m = 0; m < BML_SSC__ROWS; m++)
        sum[m] += more[m];
}

/* E < 1e-3: f depends on q = E/G alone, an index of j + (2/r) i - k, so that all electrons make the same spectrum, each
   shifted by (2/r) i: scatter_u, u = k - (2/r) i, is the sum of targets in the window of q, and of all those beyond,
   where f is flat. Then each electron adds it up to x1 = 1e-3 gamma. */
static void bml_ssc__emit_thomson(double *BML_SSC__RESTRICT out, const bml_ssc_blob *blob,
                                  const bml_ssc__compton *kernel) {
    int nx = blob->nx;
    int r = blob->tab->r;
    int step = 2 / r;
    int split = blob->e0 + blob->tab->rows; /* electron i ends at r k = i - split */
    int lowest = BML_SSC__MAX(0, split);
    if (lowest >= blob->ng) {
        return;
    }
    double hx = r * blob->tab->h;
    double *scatter = blob->scatter;
    int origin = step * (blob->ng - 1); /* u = -origin is the first */
    int count = (lowest - split) / r - step * lowest + origin + 1;
    count = BML_SSC__MIN(count, nx + origin);
    double ratio = exp(-2 * hx);
    double unit = 0; /* peak/x^2 at the first target */
    float sum[BML_SSC__ROWS];
    for (int u = 0; u < count; u += BML_SSC__ROWS) {
        int j = u - origin + kernel->thomson_lo;
        int lo = BML_SSC__MAX(0, -j - BML_SSC__ROWS + 1);
        int hi = BML_SSC__MIN(kernel->window, nx - j);
        lo -= lo & 1;
        memset(sum, 0, sizeof sum);
        if (hi > lo) {
            bml_ssc__slide(sum, kernel->thomson + lo, blob->padded + BML_SSC__MARGIN + j + lo, hi - lo);
        }
        unit = blob->peak * exp(-2 * (blob->lx0 + hx * j));
        for (int m = 0; m < BML_SSC__ROWS && u + m < count; m++) {
            int beyond = j + m + kernel->window;
            double rest = beyond < nx ? blob->suffix[BML_SSC__MAX(0, beyond)] : 0;
            scatter[u + m] = unit * (double)sum[m] + kernel->flat * rest;
            unit *= ratio;
        }
    }
    for (int i = lowest; i < blob->ng; i++) {
        const double *BML_SSC__RESTRICT one = scatter + origin - step * i;
        double weight = blob->work[i];
        int end = BML_SSC__MIN(nx, (i - split) / r + 1);
        for (int k = 0; k < end && weight > 0; k++)
            out[k] += weight * one[k];
    }
}

/* Targets in single precision: x^2 n over its peak, which spans far less than n; what is 1e-30 of the peak is none. */
static void bml_ssc__pad(bml_ssc_blob *blob, const double *n) {
    const double *x2 = blob->x2;
    float *padded = blob->padded + BML_SSC__MARGIN;
    double peak = bml_ssc__dot(x2, n, blob->nx); /* of that order */

    double unit = peak > 0 ? 1 / peak : 0;
    for (int j = 0; j < blob->nx; j++) {
        double share = x2[j] * n[j] * unit;
        padded[j] = share > 1e-30 ? (float)share : 0;
    }
    for (int j = 0; j < BML_SSC__MARGIN; j++)
        padded[-1 - j] = padded[blob->nx + j] = 0;
    blob->peak = peak;
}

/* What the electrons of a cell, which lean to one side of it, lose against as many at its node: the mean of gamma^a
   with the slope of M, a = dln |gamma_dot|/dln gamma. */
static double bml_ssc__spread_in_cell(const bml_ssc_blob *blob, int i) {
    if (blob->tab->grid == BML_SSC_ATHENA || i == 0 || i + 1 >= blob->ng) {
        return 1;
    }
    double ratio = blob->gdot[i + 1] / blob->gdot[i - 1];
    double ah = 1.5 * (ratio * ratio - 1) / (ratio * ratio + 4 * ratio + 1); /* half its logarithm, to 1 % */
    return 1 + ah * (ah / 24 + blob->slope[i] / 12);
}

/* out [nx] = Compton emission (7), or what an observer sees of it (20), on targets n [nx] (density). Three parts, split
   by E = x1/gamma: E >= 1e-3, G within the table: the sum over j with f from the table; E >= 1e-3, G beyond it: f no
   longer depends on G, so a sum over targets is enough; E < 1e-3: Thomson. */
static void bml_ssc__emit_compton(double *BML_SSC__RESTRICT out, const double *BML_SSC__RESTRICT n, bml_ssc_blob *blob,
                                  const bml_ssc__compton *kernel) {
    int nx = blob->nx;
    int ng = blob->ng;
    int r = blob->tab->r;
    double unit = 0.75 * r * blob->tab->h;
    double *suffix = blob->suffix;
    bml_ssc__pad(blob, n);

    suffix[nx - 1] = n[nx - 1];
    for (int j = nx - 2; j >= 0; j--)
        suffix[j] = suffix[j + 1] + n[j];
    for (int i = 0; i < ng; i++) {
        double gamma = blob->gamma[i];
        double weight = unit * blob->M[i] / (gamma * gamma);
        blob->work[i] = gamma > 1 ? weight * bml_ssc__spread_in_cell(blob, i) : 0;
    }
    int margin = blob->tab->row_pad + 8;
    double *wide = blob->wide;
    bml_ssc__clear(wide, nx + 2 * margin);
    for (int parity = 0; parity < r; parity++)
        for (int i = parity; i < ng; i += BML_SSC__GROUP * r)
            bml_ssc__emit_group(wide + margin, blob, kernel, i);
    bml_ssc__copy(out, wide + margin, nx);
    bml_ssc__emit_thomson(out, blob, kernel);
}

/* >> electrons -------------------------------------------------------------------------------------------------------
   One implicit step: lambda M - (flux in - flux out) = S, with S [ng] the number injected plus the history of BDF2. */

/* Compton loss rate (8) at each node, for targets n [nx]. Converged: the full integral, from G_LOW on by the table,
   below it by the sum of x^2 n. */
static void bml_ssc__add_compton_loss(double *BML_SSC__RESTRICT gdot, const double *BML_SSC__RESTRICT n,
                                      bml_ssc_blob *blob) {
    int nx = blob->nx;
    double hx = blob->tab->r * blob->tab->h;
    double *below = blob->below;
    double sum = 0;
    bml_ssc__pad(blob, n);
    const float *padded = blob->padded + BML_SSC__MARGIN;
    for (int j = 0; j < nx; j++) {
        below[j] = sum;
        sum += blob->x2[j] * n[j];
    }
    float hard[BML_SSC__ROWS];
    for (int first = 0; first < blob->ng; first += BML_SSC__ROWS) { /* loss is 0 below G_LOW */
        int lo = bml_ssc__clamp(blob->loss_lo - first - BML_SSC__ROWS + 1, 0, nx);
        int end = BML_SSC__MIN(blob->ng, first + BML_SSC__ROWS);
        bml_ssc__slide(hard, padded + lo, blob->loss + first + lo, nx - lo);
        for (int i = first; i < end; i++) {
            int j = bml_ssc__clamp(blob->loss_lo - i, 0, nx);
            double soft = j < nx ? below[j] : sum;
            double gamma2 = blob->gamma[i] * blob->gamma[i];
            double rest = 12 * blob->peak * (double)hard[i - first]; /* (4 gamma)^2 x^2 n loss/G^2 */
            gdot[i] += hx * gamma2 * (4.0 / 3 * soft + rest);
        }
    }
}

/* ATHENA: (4/3) gamma^2 int x n dx by the trapezoid rule in ln x up to the last node below 3/(4 gamma). */
static void bml_ssc__add_cut_loss(double *gdot, const double *n, const bml_ssc_blob *blob) {
    const double *x = blob->x;
    const double *x2 = blob->x2;
    int last = -1;
    double hx = blob->tab->r * blob->tab->h;
    double full = 0;
    for (int i = blob->ng - 1; i >= 0; i--) { /* the cut moves up as gamma falls */
        double gamma = blob->gamma[i];
        while (last + 1 < blob->nx && x[last + 1] < 0.75 / gamma) {
            last++;
            full += x2[last] * n[last];
        }
        if (last < 1) {
            continue;
        }
        double ends = x2[0] * n[0] + x2[last] * n[last];
        gdot[i] += 4.0 / 3 * gamma * gamma * hx * (full - 0.5 * ends);
    }
}

/* First-order upwind on nodes (ATHENA). flux [ng] = number leaving node i downwards. */
static void bml_ssc__cool_upwind(bml_ssc_blob *blob, double lambda) {
    double in = 0;
    for (int i = blob->ng - 1; i >= 0; i--) {
        double rate = blob->gdot[i] / blob->width[i];
        blob->M[i] = (blob->S[i] + in) / (lambda + rate);
        in = rate * blob->M[i];
        blob->flux[i] = in;
    }
}

/* van Leer's limited difference: second order where smooth, 0 at extrema and edges. */
static double bml_ssc__limited(double a, double b) {
    return a * b > 0 ? 2 * a * b / (a + b) : 0;
}

/* c1 = 1 - e^-tau, c2 = tau - c1, c3 = 1 - c1/2 - c1/tau, without cancellation. */
static void bml_ssc__cell_weights(double *c1, double *c2, double *c3, double tau) {
    if (tau > 0.05) {
        *c1 = tau < 700 ? -expm1(-tau) : 1;
        *c2 = tau - *c1;
        *c3 = 1 - 0.5 * *c1 - *c1 / tau;
        return;
    }
    double inner = 1 - tau / 3 * (1 - tau / 4 * (1 - tau / 5));
    *c1 = tau * (1 - tau / 2 * inner);
    *c2 = tau * tau / 2 * inner;
    *c3 = tau * tau * (1.0 / 12 - tau * (1.0 / 24 - tau / 80));
}

/* Exponentially fitted finite volumes. Within a cell, in the depth d tau = lambda dgamma/|gamma_dot| measured from its
   lower face, the stationary flux obeys dF/dtau = F - g, g = S |gamma_dot|/lambda per unit gamma, so that
       F_low = e^-tau F_high + int_0^tau g e^-tau' dtau',   g linear across the cell with a limited slope,
   and the number in the cell follows from conservation. tau << 1: pure cooling; tau >> 1: pure escape. */
static void bml_ssc__cool_fitted(bml_ssc_blob *blob, double lambda) {
    int ng = blob->ng;
    double *g = blob->work;
    double F = 0;
    for (int i = 0; i < ng; i++)
        g[i] = blob->S[i] * blob->gdot[i] / (lambda * blob->width[i]);
    for (int i = ng - 1; i >= 0; i--) {
        double tau = lambda * blob->width[i] / blob->gdot[i];
        double down = i > 0 ? g[i - 1] : 0;
        double up = i + 1 < ng ? g[i + 1] : BML_SSC__MAX(2 * g[i] - down, 0.0);
        double d = bml_ssc__limited(up - g[i], g[i] - down);
        double c1;
        double c2;
        double c3; /* weight of the slope in the number */
        bml_ssc__cell_weights(&c1, &c2, &c3, tau);
        double number = (F * c1 + g[i] * c2 + d * c3) / lambda;
        double out = F + blob->S[i] - lambda * number;
        F = BML_SSC__MAX(out, 0.0);
        blob->M[i] = number;
        blob->flux[i] = F;
    }
}

/* Position of the electrons inside each cell, for the first moment of the synchrotron kernel: slope of M per cell. */
static void bml_ssc__slopes(bml_ssc_blob *blob) {
    const double *M = blob->M;
    for (int i = 0; i < blob->ng; i++) {
        double up = i + 1 < blob->ng ? M[i + 1] : 0;
        double down = i > 0 ? M[i - 1] : 0;
        double slope = bml_ssc__limited(up - M[i], M[i] - down);
        blob->slope[i] = M[i] > 0 ? slope / M[i] : 0;
    }
}

/* A row of the synchrotron lattice at the index d. */
static const double *bml_ssc__syn0_at(const bml_ssc_blob *blob, int d) {
    int r = blob->tab->r;
    return blob->syn0 + d % r * blob->syn_len + d / r;
}

/* What makes the difference of N/gamma^2 between cells i - 1 and i the derivative at the face between them, times h,
   for a power law there: L/2 over sinh(L/2), L = ln of the ratio. Kept for absorption and heating alike: face [ng]. */
static void bml_ssc__faces(bml_ssc_blob *blob) {
    double wide = exp(2 * blob->tab->h);
    for (int i = 0; i < blob->ng; i++) {
        blob->face[i] = 1;
        if (i == 0 || !(blob->M[i] > 0 && blob->M[i - 1] > 0)) {
            continue;
        }
        double here = blob->M[i] / blob->width[i];
        double before = blob->M[i - 1] / blob->width[i - 1];
        double ratio = before / here * wide;
        double L = BML_SSC__MIN(fabs(log(ratio)), 4.0);
        blob->face[i] = L > 1e-3 ? 0.5 * L / sinh(0.5 * L) : 1;
    }
}

/* Self-absorption (9): kappa [nx] from the electrons, as the sum over faces of gamma^2 p times the fall of
   N/gamma^2. */
static void bml_ssc__absorb(bml_ssc_blob *blob, double scale) {
    double *BML_SSC__RESTRICT sum = blob->suffix; /* scratch */
    double wide = exp(blob->tab->h);
    double below = 0; /* N of the cell below the face */
    bml_ssc__clear(sum, blob->nx);
    for (int i = 0; i <= blob->ng; i++) { /* the lower face of cell i, on the lattice r k - 2 i */
        double above = i < blob->ng ? scale * blob->M[i] / blob->width[i] : 0;
        double fall = below * wide - above / wide;
        if (i < blob->ng) {
            fall *= blob->face[i];
        }
        below = above;
        if (fall == 0) {
            continue;
        }
        const double *BML_SSC__RESTRICT P = bml_ssc__syn0_at(blob, -2 * i + 1 - blob->syn_lo);
        for (int k = 0; k < blob->nx; k++)
            sum[k] += fall * P[k];
    }
    for (int k = 0; k < blob->nx; k++)
        blob->kappa[k] += BML_SSC__MAX(sum[k], 0.0) / blob->x2[k];
}

/* Diffusion of (9) through the lower face of cell i. */
static double bml_ssc__heat_face(const bml_ssc_blob *blob, const double *n, int i, double scale) {
    if (i == 0) {
        return 0;
    }
    const double *P = bml_ssc__syn0_at(blob, -2 * i + 1 - blob->syn_lo);
    double D = scale * blob->tab->r * blob->tab->h * bml_ssc__dot(P, n, blob->nx);
    double here = blob->gamma[i];
    double below = blob->gamma[i - 1];
    return blob->face[i] * D * here * below / (here - below);
}

/* Redo the electrons with the heating by absorbed photons: the cooling fluxes of the first pass as flux[i] = rate_i
   M_i, plus the diffusion of (9) between neighbours, which gains exactly what bml_ssc__absorb takes; a tridiagonal
   system. */
static void bml_ssc__heat(bml_ssc_blob *blob, const double *n, double lambda, double scale) {
    int ng = blob->ng;
    double *c_up = blob->work;
    double *rhs = blob->slope;
    double rate_up = 0; /* rate of the cell above; diffusion through the upper face; 1/(width gamma^2) there */
    double diff_up = 0;
    double a_up = 0;
    for (int i = ng - 1; i >= 0; i--) { /* eliminate from the top: M_i = rhs_i + c_up_i M_(i-1) */
        double rate = blob->gdot[i] / blob->width[i];
        if (blob->M[i] > 0) {
            rate = blob->flux[i] / blob->M[i];
        }
        double a = 1 / (blob->width[i] * blob->gamma[i] * blob->gamma[i]);
        double diff = bml_ssc__heat_face(blob, n, i, scale);
        double diag = lambda + rate + (diff + diff_up) * a;
        double source = blob->S[i];
        if (i + 1 < ng) { /* inflow from above, M_up = rhs + c M_i */
            double in = rate_up + diff_up * a_up;
            diag -= in * c_up[i + 1];
            source += in * rhs[i + 1];
        }
        rhs[i] = source / diag;
        c_up[i] = 0;
        if (i > 0) {
            c_up[i] = diff / (blob->width[i - 1] * blob->gamma[i - 1] * blob->gamma[i - 1]) / diag;
        }
        rate_up = rate;
        diff_up = diff;
        a_up = a;
        blob->flux[i] = rate;
    }
    for (int i = 0; i < ng; i++) {
        blob->M[i] = rhs[i];
        if (i > 0) {
            blob->M[i] += c_up[i] * blob->M[i - 1];
        }
        blob->flux[i] *= blob->M[i];
    }
}

/* Photon-photon absorption (10) on targets n [nx] (density): adds to kappa, and to S the pairs that the blob's own
   photons make, their number taken ahead to the new kappa (history: a0/dt of the photons), or kappa >> 1 would run
   away; *soft = energy absorbed where pairs would have gamma <= 1. kappa [nx] holds the last pass on entry. */
static void bml_ssc__pairs(bml_ssc_blob *blob, const double *BML_SSC__RESTRICT n, double history, double *soft) {
    int nx = blob->nx;
    double hx = blob->tab->r * blob->tab->h;
    double *nxh = blob->emit; /* scratch */
    for (int k = 0; k < nx; k++)
        nxh[k] = n[k] * blob->x[k] * hx;
    for (int k = 0; k < nx; k++) {
        int from = bml_ssc__clamp(bml_ssc__floor(-2 * blob->lx0 / hx) - k, 0, nx); /* x x' > 1 */
        double sum = bml_ssc__dot(nxh + from, blob->gg + k + from, nx - from);
        double gamma = 0.5 * blob->x[k];
        int i = bml_ssc__floor((log(gamma) - blob->lg0) / blob->tab->h);
        double rate = sum * blob->n[k] * blob->x[k] * hx; /* photons absorbed per R/c */
        double leave = history + 1 / blob->stay[k];
        if (gamma > 1) {
            rate *= (leave + blob->kappa[k]) / (leave + sum);
        }
        blob->kappa[k] = sum;
        if (gamma > 1 && i >= 0 && i + 1 < blob->ng) { /* two electrons of x/2, number and energy kept */
            double w = (gamma - blob->gamma[i]) / (blob->gamma[i + 1] - blob->gamma[i]);
            blob->S[i] += 2 * rate * (1 - w);
            blob->S[i + 1] += 2 * rate * w;
        } else {
            *soft += rate * blob->x[k];
        }
    }
}

/* >> time ------------------------------------------------------------------------------------------------------------
   BDF2 with variable steps: a0 u - a1 u' - a2 u'' = dt (du/dt at the new time), u' and u'' the last two values; the
   first step is backward Euler. Electrons and photons feed each other, so a step is iterated until the loss rates
   agree. */

typedef struct bml_ssc__step {
    double dt;
    double omega; /* dt over the last one */
    double a0;
    double a1;
    double a2;
    double rho;          /* R/R0 */
    double rho3;         /* its cube */
    double injection;    /* factor on Q */
    double expansion;    /* dln(R)/dt */
    double absorb_scale; /* the constant of (9) */
    double soft;         /* energy of photons absorbed that are too soft for pairs */
    double tolerance;    /* of the fixed point, relative, in the loss rates */
    double given;        /* energy per R/c that the hook adds */
    double taken;        /* and that it absorbs */
    int pass;
} bml_ssc__step;

static void bml_ssc__coefficients(bml_ssc__step *st, double w) {
    st->omega = w;
    st->a0 = (1 + 2 * w) / (1 + w);
    st->a1 = 1 + w;
    st->a2 = -w * w / (1 + w);
}

/* Means of a drive over the step that ends at t, and its range: the midpoint rule. */
static void bml_ssc__drive_means(bml_ssc_drive *mean, bml_ssc_drive *least, bml_ssc_drive *most,
                                 const bml_ssc_source *s, double t, double dt) {
    const int pieces = 16;
    memset(mean, 0, sizeof *mean);
    for (int i = 0; i < pieces; i++) {
        bml_ssc_drive now;
        bml_ssc__drive(&now, s, t - dt * (i + 0.5) / pieces);
        if (i == 0) {
            *least = *most = now;
        }
        mean->injection += now.injection / pieces;
        mean->B += now.B / pieces;
        least->injection = BML_SSC__MIN(least->injection, now.injection);
        most->injection = BML_SSC__MAX(most->injection, now.injection);
        least->B = BML_SSC__MIN(least->B, now.B);
        most->B = BML_SSC__MAX(most->B, now.B);
    }
}

static int bml_ssc__jumps(double mean, double last) {
    return fabs(mean - last) > 0.25 * BML_SSC__MAX(fabs(mean), fabs(last));
}

/* What a driven source has at the end of a step. injection and B enter by their means, a0 and a2/w of this and of the
   last step, which is the exact number injected and of second order; within the range that the drive has had. Where it
   jumps, the step is backward Euler's. */
static void bml_ssc__driven(bml_ssc_drive *now, bml_ssc__step *st, bml_ssc_blob *blob) {
    double t = blob->t + st->dt;
    bml_ssc__drive(now, &blob->src, t);
    if (!blob->src.drive) {
        return;
    }
    bml_ssc_drive mean;
    bml_ssc_drive least;
    bml_ssc_drive most;
    bml_ssc_drive last = blob->drive_last;
    bml_ssc__drive_means(&mean, &least, &most, &blob->src, t, st->dt);
    blob->drive_last = mean;
    int jump = bml_ssc__jumps(mean.injection, last.injection) || bml_ssc__jumps(mean.B, last.B);
    if (jump) {
        bml_ssc__coefficients(st, 0);
    }
    double share = st->omega > 0 ? st->a2 / st->omega : 0;
    double injection = st->a0 * mean.injection + share * last.injection;
    double B = st->a0 * mean.B + share * last.B;
    now->injection = BML_SSC__MIN(BML_SSC__MAX(injection, least.injection), most.injection);
    now->B = BML_SSC__MIN(BML_SSC__MAX(B, least.B), most.B);
}

/* Checks of a drive, and the blob at the end of the step. */
static int bml_ssc__follow(bml_ssc__step *st, bml_ssc_blob *blob) {
    char *why = blob->message;
    bml_ssc_drive now;
    bml_ssc__driven(&now, st, blob);
    double B = now.B * blob->src.B;
    if (!(now.injection >= 0 && now.injection < 1e30)) {
        return bml_ssc__fail(why, BML_SSC_PARAMETER, "drive: injection = %g: must be in [0, 1e30)", now.injection);
    }
    if (!(now.R > 1e-6 && now.R < 1e6)) {
        return bml_ssc__fail(why, BML_SSC_PARAMETER, "drive: R = %g: must be in (1e-6, 1e6)", now.R);
    }
    double ln_R = log(now.R);
    if (!(ln_R >= blob->ln_R[0] - 1e-9)) {
        return bml_ssc__fail(why, BML_SSC_PARAMETER, "drive: R = %g: must not shrink", now.R);
    }
    if (!(B >= 1e-8 && B <= 1e6)) {
        return bml_ssc__fail(why, BML_SSC_PARAMETER, "drive: B = %g: makes %g G, must be in [1e-8, 1e6]", now.B, B);
    }
    st->rho = now.R;
    st->rho3 = now.R * now.R * now.R;
    st->injection = now.injection;
    double change = st->a0 * ln_R - st->a1 * blob->ln_R[0] - st->a2 * blob->ln_R[1]; /* as the state */
    st->expansion = BML_SSC__MAX(change / st->dt, 0.0);
    blob->ln_R[1] = blob->ln_R[0];
    blob->ln_R[0] = ln_R;
    if (fabs(B - blob->B_now) > 1e-12 * B) {
        bml_ssc__set_field(blob, B);
        bml_ssc__kernels_synchrotron(blob);
    }
    return BML_SSC_OK;
}

/* Coefficients of the step, and the drive at its end. */
static int bml_ssc__prepare(bml_ssc__step *st, bml_ssc_blob *blob, double dt, double tolerance) {
    memset(st, 0, sizeof *st);
    st->dt = dt;
    st->tolerance = tolerance;
    bml_ssc__coefficients(st, blob->dt_last > 0 ? dt / blob->dt_last : 0);
    st->rho = st->rho3 = st->injection = 1;
    if (blob->src.drive || blob->src.expansion_speed > 0) {
        int status = bml_ssc__follow(st, blob);
        if (status) return status;
    }
    double volume = BML_SSC__SIGMA_T * blob->src.R * st->rho3;
    st->absorb_scale = BML_SSC__LAMBDA_C * BML_SSC__LAMBDA_C * BML_SSC__LAMBDA_C / (8 * BML_SSC__PI * volume);
    return BML_SSC_OK;
}

/* History term of BDF2; a steep decay would make it negative, where backward Euler's is taken. */
static double bml_ssc__history(const bml_ssc__step *st, double last, double before) {
    double u = st->a1 * last + st->a2 * before;
    return (u > 0 ? u : last) / st->dt;
}

/* Total loss rate per electron node, for the photons n of the blob. */
static void bml_ssc__losses(double *gdot, bml_ssc_blob *blob, const bml_ssc__step *st) {
    for (int k = 0; k < blob->nx; k++)
        blob->target[k] = blob->n[k] / st->rho3 + blob->n_ext[k];
    for (int i = 0; i < blob->ng; i++)
        gdot[i] = blob->gamma[i] * (4.0 / 3 * blob->l_B * blob->gamma[i] + st->expansion);
    if (blob->tab->grid == BML_SSC_CONVERGED) {
        bml_ssc__add_compton_loss(gdot, blob->target, blob);
    } else {
        bml_ssc__add_cut_loss(gdot, blob->target, blob);
    }
}

/* Asks the hook what it adds in this pass. */
static int bml_ssc__ask(bml_ssc_blob *blob, bml_ssc__step *st) {
    bml_ssc_exchange now;
    double *N = blob->slope; /* scratch */
    double hx = blob->tab->r * blob->tab->h;
    memset(&now, 0, sizeof now);
    for (int i = 0; i < blob->ng; i++)
        N[i] = blob->M[i] / blob->width[i];
    bml_ssc__clear(blob->made, blob->ng);
    bml_ssc__clear(blob->photons, blob->nx);
    bml_ssc__clear(blob->absorption, blob->nx);
    now.t = blob->t + st->dt;
    now.dt = st->dt;
    now.pass = st->pass;
    now.n_electrons = blob->ng;
    now.n_photons = blob->nx;
    now.R = blob->src.R * st->rho;
    now.B = blob->B_now;
    now.dilution = 1 / st->rho3;
    now.gamma = blob->gamma;
    now.width = blob->width;
    now.N = N;
    now.x = blob->x;
    now.n = blob->n;
    now.outside = blob->n_ext;
    now.electrons = blob->made;
    now.photons = blob->photons;
    now.absorption = blob->absorption;
    if (blob->src.exchange(&now, blob->src.user)) {
        return bml_ssc__fail(blob->message, BML_SSC_CANCELLED, "t = %g: the exchange hook asked to stop", now.t);
    }
    int bad = 0;
    st->given = 0;
    for (int i = 0; i < blob->ng; i++) {
        blob->made[i] *= blob->width[i];
        st->given += blob->made[i] * blob->gamma[i];
        bad += !(blob->made[i] >= 0);
    }
    for (int k = 0; k < blob->nx; k++) {
        st->given += hx * blob->x2[k] * blob->photons[k];
        bad += !(blob->photons[k] >= 0 && blob->absorption[k] >= 0);
    }
    if (!bad && st->given >= 0 && st->given < HUGE_VAL) {
        return BML_SSC_OK;
    }
    return bml_ssc__fail(blob->message, BML_SSC_PARAMETER, "exchange: what the hook adds must be finite and >= 0");
}

/* int x^2 n kappa dln x */
static double bml_ssc__absorbed(const bml_ssc_blob *blob, const double *kappa) {
    double sum = 0;
    for (int k = 0; k < blob->nx; k++)
        sum += kappa[k] * blob->n[k] * blob->x2[k];
    return sum * blob->tab->r * blob->tab->h;
}

/* How long photons stay (14), in R0/c: RATE, or the sphere's with the present absorption. */
static void bml_ssc__stays(bml_ssc_blob *blob, const bml_ssc__step *st) {
    int sphere = blob->src.photon_escape == BML_SSC_SPHERE;
    for (int k = 0; k < blob->nx; k++) {
        double stay = st->rho;
        if (sphere) {
            stay = 0.75 * st->rho;
        }
        if (sphere && blob->kappa[k] > 0) {
            stay = st->rho / bml_ssc__sphere_escape(blob->kappa[k] * st->rho);
        }
        blob->stay[k] = stay;
    }
}

/* Electrons of the new time for the present gdot and photons. */
static void bml_ssc__move_electrons(bml_ssc_blob *blob, bml_ssc__step *st) {
    double lambda = st->a0 / st->dt + 1 / (blob->src.electron_escape * st->rho);
    bml_ssc__copy(blob->S, blob->base, blob->ng);
    for (int i = 0; i < blob->ng && blob->active[BML_SSC__ADDED]; i++)
        blob->S[i] += blob->made[i];
    st->soft = 0;
    if (blob->src.pair_production) {
        bml_ssc__pairs(blob, blob->target, st->a0 / st->dt, &st->soft);
    } else {
        bml_ssc__clear(blob->kappa, blob->nx);
    }
    if (blob->tab->grid == BML_SSC_ATHENA) {
        bml_ssc__cool_upwind(blob, lambda);
    } else {
        bml_ssc__cool_fitted(blob, lambda);
    }
    if (blob->src.self_absorption) {
        bml_ssc__faces(blob);
        if (blob->src.self_absorption == BML_SSC_SSA_HEATING) {
            bml_ssc__heat(blob, blob->n, lambda, st->absorb_scale);
        }
        double before = bml_ssc__absorbed(blob, blob->kappa);
        bml_ssc__absorb(blob, st->absorb_scale);
        double after = bml_ssc__absorbed(blob, blob->kappa);
        if (blob->src.self_absorption == BML_SSC_SSA) {
            st->soft += after - before;
        }
    }
    if (blob->active[BML_SSC__ADDED]) {
        st->taken = bml_ssc__absorbed(blob, blob->absorption);
        for (int k = 0; k < blob->nx; k++)
            blob->kappa[k] += blob->absorption[k];
    }
    bml_ssc__stays(blob, st);
    bml_ssc__slopes(blob);
}

/* One component of the photons at the new time, from its emission. */
static void bml_ssc__move_photons(bml_ssc_blob *blob, const bml_ssc__step *st, int c, const double *emission) {
    double a = st->a0 / st->dt;
    const double *history = blob->history[c];
    for (int k = 0; k < blob->nx; k++) {
        double loss = a + 1 / blob->stay[k] + blob->kappa[k];
        blob->comp[c][k] = (history[k] + emission[k]) / loss;
    }
}

/* n = all components but the observer's view. */
static void bml_ssc__sum_components(bml_ssc_blob *blob) {
    bml_ssc__copy(blob->n, blob->comp[BML_SSC__SYN], blob->nx);
    for (int c = BML_SSC__SSC; c < BML_SSC__VIEW; c++)
        for (int k = 0; k < blob->nx && blob->active[c]; k++)
            blob->n[k] += blob->comp[c][k];
}

static void bml_ssc__enter(bml_ssc_blob *blob, const bml_ssc__step *st, int which, double rate) {
    bml_ssc__ledger *l = &blob->ledger[which];
    l->before = l->last;
    l->last = l->now;
    l->now = (st->a1 * l->last + st->a2 * l->before + st->dt * rate) / st->a0;
}

/* Where energy went in this step; integrated by the same formula as the state, so that the books can close. */
static void bml_ssc__keep_books(bml_ssc_blob *blob, const bml_ssc__step *st) {
    double hx = blob->tab->r * blob->tab->h;
    double injected = bml_ssc__dot(blob->Q, blob->gamma, blob->ng);
    double electrons = bml_ssc__dot(blob->M, blob->gamma, blob->ng);
    double escaped = 0;
    for (int k = 0; k < blob->nx; k++)
        escaped += hx * blob->x2[k] * blob->n[k] / blob->stay[k];
    bml_ssc__enter(blob, st, BML_SSC__INJECTED, injected * st->injection + st->given);
    bml_ssc__enter(blob, st, BML_SSC__ESC_E, electrons / (blob->src.electron_escape * st->rho));
    bml_ssc__enter(blob, st, BML_SSC__ESC_X, escaped);
    double face = blob->gamma[0]; /* electrons leave through the lower face of a cell, or at a node */
    if (blob->tab->grid == BML_SSC_CONVERGED) {
        face = BML_SSC__MAX(1.0, face * exp(-0.5 * blob->tab->h));
    }
    double slow = 0; /* Compton losses of a node below gamma = 1, which has no photons to show for them */
    double synchrotron = 4.0 / 3 * blob->l_B * blob->gamma[0] + st->expansion;
    if (blob->gamma[0] <= 1) {
        slow = blob->M[0] * (blob->gdot[0] - blob->gamma[0] * synchrotron);
    }
    bml_ssc__enter(blob, st, BML_SSC__COOLED, blob->flux[0] * face + st->soft + slow);
    bml_ssc__enter(blob, st, BML_SSC__WORK, electrons * st->expansion);
    bml_ssc__enter(blob, st, BML_SSC__TAKEN, st->taken);
}

/* Makes the last state history, and guesses the new one: linear in time. */
static void bml_ssc__turn_page(bml_ssc_blob *blob, const bml_ssc__step *st) {
    bml_ssc__swap(&blob->M2, &blob->M1);
    bml_ssc__copy(blob->M1, blob->M, blob->ng);
    bml_ssc__copy(blob->n1, blob->n, blob->nx);
    for (int c = 0; c < BML_SSC__COMPONENTS; c++) {
        if (!blob->active[c]) {
            continue;
        }
        bml_ssc__swap(&blob->comp2[c], &blob->comp1[c]);
        bml_ssc__swap(&blob->comp1[c], &blob->comp[c]);
        const double *last = blob->comp1[c];
        const double *before = blob->comp2[c];
        for (int k = 0; k < blob->nx; k++) {
            double guess = last[k] + st->omega * (last[k] - before[k]);
            blob->comp[c][k] = BML_SSC__MAX(guess, 0.5 * last[k]);
            blob->history[c][k] = bml_ssc__history(st, last[k], before[k]);
        }
    }
    bml_ssc__sum_components(blob);
    for (int i = 0; i < blob->ng; i++) {
        blob->base[i] = bml_ssc__history(st, blob->M1[i], blob->M2[i]);
        blob->base[i] += st->injection * blob->Q[i];
    }

    int driven = blob->src.drive || blob->src.expansion_speed > 0;
    if (driven || blob->src.pair_production || blob->steps < 2) { /* pairs need the targets, too */
        bml_ssc__losses(blob->guess, blob, st);
    } else /* linear in the photons, so linear in time as they */
        for (int i = 0; i < blob->ng; i++) {
            double guess = blob->loss1[i] + st->omega * (blob->loss1[i] - blob->loss2[i]);
            blob->guess[i] = BML_SSC__MAX(guess, 0.5 * blob->loss1[i]);
        }

    double again = st->omega * st->omega; /* it is wrong by dt^2 and falls with the transients */
    for (int i = 0; i < blob->ng; i++)
        blob->gdot[i] = blob->guess[i] * (1 + again * blob->wrong[i]);
}

/* What the guess lacked, and the loss rates, for the next step. */
static void bml_ssc__learn(bml_ssc_blob *blob) {
    bml_ssc__swap(&blob->loss1, &blob->loss2);
    bml_ssc__copy(blob->loss1, blob->old, blob->ng);
    blob->steps++;
    for (int i = 0; i < blob->ng; i++) {
        double wrong = blob->old[i] / blob->guess[i] - 1;
        blob->wrong[i] = BML_SSC__MIN(BML_SSC__MAX(wrong, -0.2), 0.2);
    }
}

/* One pass: electrons for the loss rates gdot, the photons that they make, and the loss rates of those in old. */
static int bml_ssc__pass(bml_ssc_blob *blob, bml_ssc__step *st) {
    if (blob->active[BML_SSC__ADDED]) {
        int status = bml_ssc__ask(blob, st);
        if (status) return status;
    }
    bml_ssc__move_electrons(blob, st);
    bml_ssc__emit_synchrotron(blob->emit, blob);
    bml_ssc__move_photons(blob, st, BML_SSC__SYN, blob->emit);
    if (blob->active[BML_SSC__ADDED]) {
        bml_ssc__move_photons(blob, st, BML_SSC__ADDED, blob->photons);
    }
    bml_ssc__sum_components(blob);
    for (int k = 0; k < blob->nx; k++)
        blob->target[k] = blob->n[k] / st->rho3;
    bml_ssc__emit_compton(blob->emit, blob->target, blob, &blob->compton);
    bml_ssc__move_photons(blob, st, BML_SSC__SSC, blob->emit);
    if (blob->active[BML_SSC__EXT]) {
        bml_ssc__emit_compton(blob->emit, blob->n_ext, blob, &blob->compton);
        bml_ssc__move_photons(blob, st, BML_SSC__EXT, blob->emit);
    }
    bml_ssc__sum_components(blob);
    bml_ssc__losses(blob->old, blob, st);
    return BML_SSC_OK;
}

/* Largest relative difference of old = F(gdot) from gdot; a NaN stays. */
static double bml_ssc__change(const bml_ssc_blob *blob) {
    double change = 0;
    for (int i = 0; i < blob->ng; i++) {
        double relative = fabs(blob->old[i] - blob->gdot[i]) / blob->old[i];
        if (!(relative <= change)) {
            change = relative;
        }
    }
    return change;
}

/* The next gdot from F(gdot) of this pass and the last: the secant of the fixed point along the direction in which it
   has moved (Anderson 1965 with one step of memory); a slow or circling fixed point is met half-way after eight
   passes. */
static void bml_ssc__accelerate(bml_ssc_blob *blob, int pass) {
    double top = 0;
    double bottom = 0;
    bml_ssc__swap(&blob->miss, &blob->miss_last);
    for (int i = 0; i < blob->ng; i++) {
        blob->miss[i] = (blob->old[i] - blob->gdot[i]) / blob->old[i];
        double d = blob->miss[i] - blob->miss_last[i];
        top += d * blob->miss[i];
        bottom += d * d;
    }
    double theta = 0;
    if (pass > 0 && pass < 8 && bottom > 0) {
        theta = BML_SSC__MIN(BML_SSC__MAX(top / bottom, -2.0), 0.8);
    }
    for (int i = 0; i < blob->ng; i++) {
        double F = blob->old[i];
        double next = F - theta * (F - blob->old_last[i]);
        if (pass >= 8) {
            next = 0.5 * (F + blob->gdot[i]);
        }
        blob->old_last[i] = F;
        blob->gdot[i] = BML_SSC__MIN(BML_SSC__MAX(next, 0.5 * F), 2 * F);
    }
}

/* What an observer sees of fields that are not isotropic in the blob: no feedback, so once a step is enough. */
static void bml_ssc__look(bml_ssc_blob *blob, const bml_ssc__step *st) {
    double *emission = blob->seen; /* scratch */
    bml_ssc__emit_compton(emission, blob->n_view, blob, &blob->view);
    bml_ssc__emit_compton(blob->emit, blob->n_iso, blob, &blob->compton);
    for (int k = 0; k < blob->nx; k++)
        emission[k] += blob->emit[k];
    bml_ssc__move_photons(blob, st, BML_SSC__VIEW, emission);
    const double *view = blob->comp[BML_SSC__VIEW];
    const double *mean = blob->comp[BML_SSC__EXT];
    for (int k = 0; k < blob->nx; k++)
        blob->seen[k] = BML_SSC__MAX(blob->n[k] - mean[k], 0.0) + view[k];
}

/* light_travel: keep what leaves the blob for good of the emission of now, x^2 n/s of a steady source with it. */
static void bml_ssc__keep_light(bml_ssc_blob *blob, const bml_ssc__step *st) {
    double t = blob->t;
    double apart = 2.0 * st->rho / (BML_SSC__SLOTS - 4);
    int last = (blob->next_slot + BML_SSC__SLOTS - 1) % BML_SSC__SLOTS;
    int before = (last + BML_SSC__SLOTS - 1) % BML_SSC__SLOTS;
    int crowded = blob->n_slots > 1 && t - blob->slot_time[before] < apart;
    int slot = crowded ? last : blob->next_slot;
    blob->slot_time[slot] = t;
    if (!crowded) {
        blob->next_slot = (slot + 1) % BML_SSC__SLOTS;
        blob->n_slots = BML_SSC__MIN(blob->n_slots + 1, BML_SSC__SLOTS);
    }
    for (int c = 0; c < BML_SSC__COMPONENTS; c++) {
        double *light = blob->slots + ((ptrdiff_t)slot * BML_SSC__COMPONENTS + c) * blob->tab->max_nx;
        for (int k = 0; k < blob->nx && blob->active[c]; k++) {
            double leave = 1 / blob->stay[k];
            double lose = leave + blob->kappa[k];
            double made = (st->a0 / st->dt + lose) * blob->comp[c][k] - blob->history[c][k];
            light[k] = BML_SSC__MAX(made, 0.0) * leave / lose;
        }
    }
}

/* Share of a sphere's light that is older than u R/c, 0 <= u <= 2: slices of area u (2 - u), (3/4) int (2 v - v^2)
   dv. */
static double bml_ssc__older(double u) {
    if (u <= 0) {
        return 1;
    }
    if (u >= 2) {
        return 0;
    }
    return 1 - u * u * (3 - u) / 4;
}

/* light_travel: the light that arrives together, each slot for the time around it; empty before begin. */
static void bml_ssc__smear(bml_ssc_blob *blob) {
    bml_ssc_drive now;
    bml_ssc__drive(&now, &blob->src, blob->t);
    for (int c = 0; c <= BML_SSC__COMPONENTS; c++)
        bml_ssc__clear(blob->lit[c], blob->nx);
    for (int i = 0; i < blob->n_slots; i++) { /* from the latest backwards */
        int slot = (blob->next_slot - 1 - i + 2 * BML_SSC__SLOTS) % BML_SSC__SLOTS;
        int earlier = (slot + BML_SSC__SLOTS - 1) % BML_SSC__SLOTS;
        int later = (slot + 1) % BML_SSC__SLOTS;
        double t = blob->slot_time[slot];
        double from = i + 1 < blob->n_slots ? 0.5 * (t + blob->slot_time[earlier]) : 0;
        double to = i > 0 ? 0.5 * (t + blob->slot_time[later]) : blob->t;
        double younger = bml_ssc__older((blob->t - from) / now.R);
        double weight = bml_ssc__older((blob->t - to) / now.R) - younger;
        for (int c = 0; c < BML_SSC__COMPONENTS; c++) {
            const double *light = blob->slots + ((ptrdiff_t)slot * BML_SSC__COMPONENTS + c) * blob->tab->max_nx;
            for (int k = 0; k < blob->nx && blob->active[c]; k++)
                blob->lit[c][k] += weight * light[k];
        }
    }
    double *total = blob->lit[BML_SSC__COMPONENTS];
    int outside = blob->active[BML_SSC__VIEW] ? BML_SSC__EXT : BML_SSC__VIEW; /* the other one counts */
    for (int c = 0; c < BML_SSC__COMPONENTS; c++)
        for (int k = 0; k < blob->nx && c != outside; k++)
            total[k] += blob->lit[c][k];
}

static int bml_ssc__advance_step(bml_ssc_blob *blob, double dt, double tolerance) {
    const int passes = 60;
    bml_ssc__step st;
    int status = bml_ssc__prepare(&st, blob, dt, tolerance);
    if (status) return status;
    bml_ssc__turn_page(blob, &st);
    double change = HUGE_VAL;
    double given = -1; /* the hook's energy, a pass before */
    for (st.pass = 0; st.pass < passes && !(change <= tolerance); st.pass++) {
        status = bml_ssc__pass(blob, &st);
        if (status) {
            blob->started = 0;
            return status;
        }
        change = bml_ssc__change(blob);
        if (blob->active[BML_SSC__ADDED]) {
            change = BML_SSC__MAX(change, fabs(st.given - given) / (st.given + 1e-300));
        }
        given = st.given;
        if (!(change <= tolerance)) {
            bml_ssc__accelerate(blob, st.pass);
        }
    }
    bml_ssc__keep_books(blob, &st);
    bml_ssc__learn(blob);
    blob->dt_last = dt;
    blob->t += dt;
    if (change != change) {
        blob->started = 0; /* there is no best estimate to deliver */
        return bml_ssc__fail(blob->message, BML_SSC_PARAMETER, "t = %g: the loss rates are not finite", blob->t);
    }
    if (blob->active[BML_SSC__VIEW]) {
        bml_ssc__look(blob, &st);
    }
    if (blob->slots) {
        bml_ssc__keep_light(blob, &st);
    }
    if (!(change <= tolerance)) {
        return bml_ssc__fail(blob->message, BML_SSC_NOT_CONVERGED,
                             "t = %g: loss rates still change by %g after %d passes", blob->t, change, passes);
    }
    return BML_SSC_OK;
}

/* Electrons and photons of early steps leave again, and their errors with them: the fixed point is held to 2e-3 at the
   end of an advance, and before it to ten times that where it is far. Not where what is absorbed must come back as
   particles. */
static double bml_ssc__tolerance(const bml_ssc_blob *blob, double left) {
    double stay = BML_SSC__MAX(blob->src.electron_escape, 1.0);
    if (blob->src.pair_production || blob->src.exchange) {
        return 3e-4;
    }
    if (blob->src.self_absorption == BML_SSC_SSA_HEATING) {
        return 1e-3;
    }
    return BML_SSC__MIN(2e-3 * exp(left / stay), 2e-2);
}

BML_SSC_DEF int bml_ssc_advance(bml_ssc_blob *blob, double t) {
    int status = BML_SSC_OK;
    if (!blob) {
        return BML_SSC_BAD_ARGUMENT;
    }
    if (!blob->started) {
        return bml_ssc__fail(blob->message, BML_SSC_TIME, "t = %g: bml_ssc_begin has not succeeded", t);
    }
    if (!(t > blob->t && t - blob->t < 1e6)) {
        return bml_ssc__fail(blob->message, BML_SSC_TIME, "t = %g: must be after %g, by less than 1e6", t, blob->t);
    }
    double start = blob->t;
    int driven = blob->src.drive || blob->src.expansion_speed > 0;
    double longest = driven ? blob->tab->driven_step : blob->tab->time_step;
    double steps = ceil((t - start) / longest - 1e-9);
    int n = steps < 1 ? 1 : (int)steps;
    for (int i = 0; i < n; i++) {
        double end = start + (t - start) * (i + 1) / n;
        int s = bml_ssc__advance_step(blob, end - blob->t, bml_ssc__tolerance(blob, t - end));
        if (s && s != BML_SSC_NOT_CONVERGED) {
            return s;
        }
        if (s) {
            status = s;
        }
    }
    blob->t = t;
    if (blob->slots) {
        bml_ssc__smear(blob);
    }
    return status;
}

/* Largest relative change of the last step, in photons within 8 dex of the peak and in the number of electrons. */
static double bml_ssc__last_change(const bml_ssc_blob *blob) {
    double peak = 0;
    double change = 0;
    double electrons = 0;
    double before = 0;
    for (int k = 0; k < blob->nx; k++)
        peak = BML_SSC__MAX(peak, blob->x2[k] * blob->n[k]);
    for (int k = 0; k < blob->nx; k++) {
        if (!(blob->x2[k] * blob->n[k] > 1e-8 * peak)) {
            continue;
        }
        change = BML_SSC__MAX(change, fabs(blob->n[k] - blob->n1[k]) / blob->n[k]);
    }
    for (int i = 0; i < blob->ng; i++) {
        electrons += blob->M[i];
        before += blob->M1[i];
    }
    return BML_SSC__MAX(change, fabs(electrons - before) / electrons);
}

BML_SSC_DEF int bml_ssc_steady(bml_ssc_blob *blob, double tolerance) {
    if (!blob) {
        return BML_SSC_BAD_ARGUMENT;
    }
    char *why = blob->message;
    if (!blob->started) {
        return bml_ssc__fail(why, BML_SSC_TIME, "steady: bml_ssc_begin has not succeeded");
    }
    if (blob->src.drive) {
        return bml_ssc__fail(why, BML_SSC_PARAMETER, "steady: a source with a drive has no steady state");
    }
    if (blob->src.expansion_speed > 0) {
        return bml_ssc__fail(why, BML_SSC_PARAMETER, "expansion_speed = %g: must be 0 for a steady state",
                             blob->src.expansion_speed);
    }
    if (tolerance == 0) {
        tolerance = 1e-4;
    }
    if (!(tolerance >= 1e-8 && tolerance <= 0.1)) {
        return bml_ssc__fail(why, BML_SSC_PARAMETER, "tolerance = %g: must be in [1e-8, 0.1]", tolerance);
    }
    double dt = blob->tab->time_step;
    for (int step = 0; step < 1000; step++) {
        int status = bml_ssc__advance_step(blob, dt, BML_SSC__MIN(1e-3, 0.1 * tolerance));
        if (status && status != BML_SSC_NOT_CONVERGED) {
            return status;
        }
        double change = bml_ssc__last_change(blob);
        if (blob->slots) {
            bml_ssc__smear(blob);
        }
        if (!status && blob->t > 3 && change <= tolerance * BML_SSC__MIN(dt, 1.0)) {
            return BML_SSC_OK;
        }
        dt = BML_SSC__MIN(1.3 * dt, 1e4);
    }
    return bml_ssc__fail(why, BML_SSC_NOT_CONVERGED, "t = %g: not steady after 1000 steps", blob->t);
}

BML_SSC_DEF int bml_ssc_solve(bml_ssc_blob *blob, const bml_ssc_source *source) {
    int status = bml_ssc_begin(blob, source);
    return status ? status : bml_ssc_advance(blob, blob->src.t_end);
}

BML_SSC_DEF const char *bml_ssc_message(const bml_ssc_blob *blob) {
    return blob ? blob->message : "";
}

/* >> output ----------------------------------------------------------------------------------------------------------
   Reading a blob changes nothing in it. */

static const double *bml_ssc__component(const bml_ssc_blob *blob, bml_ssc_component component) {
    switch (component) {
    case BML_SSC_TOTAL: return blob->n;
    case BML_SSC_SYNCHROTRON: return blob->comp[BML_SSC__SYN];
    case BML_SSC_COMPTON: return blob->comp[BML_SSC__SSC];
    case BML_SSC_EXTERNAL: return blob->comp[BML_SSC__EXT];
    case BML_SSC_EXCHANGED: return blob->comp[BML_SSC__ADDED];
    default: return NULL;
    }
}

/* What leaves the blob towards the observer, times *stay (NULL: 1). */
static const double *bml_ssc__seen(const double **stay, const bml_ssc_blob *blob, bml_ssc_component component) {
    int view = blob->active[BML_SSC__VIEW];
    *stay = blob->slots ? NULL : blob->stay;
    if (blob->slots) {
        double *const *lit = blob->lit;
        switch (component) {
        case BML_SSC_TOTAL: return lit[BML_SSC__COMPONENTS];
        case BML_SSC_SYNCHROTRON: return lit[BML_SSC__SYN];
        case BML_SSC_COMPTON: return lit[BML_SSC__SSC];
        case BML_SSC_EXTERNAL: return view ? lit[BML_SSC__VIEW] : lit[BML_SSC__EXT];
        case BML_SSC_EXCHANGED: return lit[BML_SSC__ADDED];
        default: return NULL;
        }
    }
    if (view && component == BML_SSC_TOTAL) {
        return blob->seen;
    }
    if (view && component == BML_SSC_EXTERNAL) {
        return blob->comp[BML_SSC__VIEW];
    }
    return bml_ssc__component(blob, component);
}

/* The logarithms of four neighbouring nodes, kept from point to point, since points come in order. */
typedef struct bml_ssc__curve {
    const double *v;   /* [n] the curve is ln(v at^2/per) */
    const double *at;  /* [n] */
    const double *per; /* [n], or NULL = 1 */
    double lo;         /* ln at[0] */
    double step;       /* spacing */
    int n;
    int cubic;
    int k; /* index of y[1]; -2 when y is empty */
    double y[4];
} bml_ssc__curve;

static double bml_ssc__node(const bml_ssc__curve *c, int k) {
    if (k < 0 || k >= c->n || c->v[k] <= 0) {
        return -HUGE_VAL; /* a NaN goes on as NaN */
    }
    double value = c->v[k] * c->at[k] * c->at[k];
    if (c->per) {
        value /= c->per[k];
    }
    return log(value);
}

/* ln of the curve at ln_at. */
static double bml_ssc__evaluate(bml_ssc__curve *c, double ln_at) {
    double u = (ln_at - c->lo) / c->step;
    if (!(u < c->n - (c->cubic ? 0.5 : 1.0))) {
        return -HUGE_VAL; /* half a cell beyond the last node ends the grid */
    }
    int k = u < 0 ? 0 : BML_SSC__MIN((int)u, c->n - 2);
    if (k != c->k) {
        for (int i = 0; i < 4; i++)
            c->y[i] = bml_ssc__node(c, k - 1 + i);
        c->k = k;
    }
    double w = u - k;
    double y0 = c->y[0];
    double y1 = c->y[1];
    double y2 = c->y[2];
    double y3 = c->y[3];
    if (!(y1 > -HUGE_VAL && y2 > -HUGE_VAL)) {
        return -HUGE_VAL;
    }
    int inside = w >= 0 && w <= 1 && y0 > -HUGE_VAL && y3 > -HUGE_VAL;
    if (!c->cubic || !inside) {
        return y1 + w * (y2 - y1);
    }
    double second = 2 * y0 - 5 * y1 + 4 * y2 - y3;
    double third = 3 * (y1 - y2) + y3 - y0;
    return y1 + 0.5 * w * (y2 - y0 + w * (second + w * third));
}

static bml_ssc__curve bml_ssc__photons(const bml_ssc_blob *blob, const double *n, const double *stay) {
    bml_ssc__curve c;
    memset(&c, 0, sizeof c);
    c.v = n;
    c.at = blob->x;
    c.per = stay;
    c.lo = blob->lx0;
    c.step = blob->tab->r * blob->tab->h;
    c.n = blob->nx;
    c.cubic = blob->tab->grid == BML_SSC_CONVERGED;
    c.k = -2;
    return c;
}

BML_SSC_DEF int bml_ssc_spectrum(double *log10_x2n, const double *log10_x, int n, const bml_ssc_blob *blob,
                                 bml_ssc_component component) {
    if (!log10_x2n || !log10_x || n < 1 || !blob || !blob->started) {
        return BML_SSC_BAD_ARGUMENT;
    }
    const double *v = bml_ssc__component(blob, component);
    if (!v) {
        return BML_SSC_BAD_COMPONENT;
    }
    bml_ssc__curve c = bml_ssc__photons(blob, v, NULL);
    for (int i = 0; i < n; i++)
        log10_x2n[i] = bml_ssc__evaluate(&c, log10_x[i] * BML_SSC__LN10) / BML_SSC__LN10;
    return BML_SSC_OK;
}

BML_SSC_DEF int bml_ssc_electrons(double *log10_g2N, const double *log10_gamma, int n, const bml_ssc_blob *blob) {
    if (!log10_g2N || !log10_gamma || n < 1 || !blob || !blob->started) {
        return BML_SSC_BAD_ARGUMENT;
    }
    bml_ssc__curve c = bml_ssc__photons(blob, blob->M, blob->width);
    c.at = blob->gamma;
    c.lo = blob->lg0;
    c.step = blob->tab->h;
    c.n = blob->ng;
    for (int i = 0; i < n; i++)
        log10_g2N[i] = bml_ssc__evaluate(&c, log10_gamma[i] * BML_SSC__LN10) / BML_SSC__LN10;
    return BML_SSC_OK;
}

/* Cell of a growing table that holds v, and the position in it; -1 outside. */
static int bml_ssc__cell(double *w, double v, const double *at, int n) {
    if (!(v >= at[0] && v <= at[n - 1])) {
        return -1;
    }
    int i = 0;
    while (i < n - 2 && v > at[i + 1])
        i++;
    *w = (v - at[i]) / (at[i + 1] - at[i]);
    return i;
}

/* (1 - w) a + w b, where a weight of zero takes out an infinity. */
static double bml_ssc__mix(double w, double a, double b) {
    double sum = 0;
    if (w < 1) {
        sum += (1 - w) * a;
    }
    if (w > 0) {
        sum += w * b;
    }
    return sum;
}

BML_SSC_DEF int bml_ssc_ebl_depth(double *tau, const bml_ssc_ebl *e, double z, double nu) {
    if (!tau || !e || !e->z || !e->log10_nu || !e->tau || e->n_z < 2 || e->n_nu < 2) {
        return BML_SSC_BAD_ARGUMENT;
    }
    double log_nu = log10(nu);
    *tau = 0;
    if (log_nu < e->log10_nu[0]) {
        return BML_SSC_OK;
    }
    double wz = 0;
    double wn = 0;
    int in = bml_ssc__cell(&wn, log_nu, e->log10_nu, e->n_nu);
    double nearest = e->z[0];
    int below = z >= 0 && z < nearest; /* the first row, falling to nothing at z = 0 */
    int iz = bml_ssc__cell(&wz, below ? nearest : z, e->z, e->n_z);
    if (iz < 0 || in < 0) {
        return BML_SSC_OUTSIDE_TABLE;
    }
    const double *t = e->tau + iz * e->n_nu + in;
    const double *up = t + e->n_nu;
    int grows = e->z[iz + 1] > e->z[iz] && e->log10_nu[in + 1] > e->log10_nu[in];
    if (!grows || !(t[0] >= 0 && t[1] >= 0 && up[0] >= 0 && up[1] >= 0)) {
        return BML_SSC_PARAMETER;
    }
    double low = bml_ssc__mix(wn, t[0], t[1]);
    double high = wz > 0 ? bml_ssc__mix(wn, up[0], up[1]) : 0;
    *tau = bml_ssc__mix(wz, low, high);
    if (below) {
        *tau = z > 0 ? *tau * z / nearest : 0;
    }
    return BML_SSC_OK;
}

BML_SSC_DEF double bml_ssc_luminosity_distance(double z, double H0, double omega_m) {
    double sum = 0;
    if (!(z > 0 && z < 1e4 && H0 > 0 && H0 < HUGE_VAL && omega_m > 0 && omega_m <= 1)) {
        return (double)NAN;
    }
    int pieces = 1 + (int)(2 * log1p(z));
    double half = 0.5 * log1p(z) / pieces; /* int dz/E(z), in ln(1 + z) */
    for (int i = 0; i < 8 * pieces; i++) {
        double node = i & 1 ? bml_ssc__gauss_x[i % 8 / 2] : -bml_ssc__gauss_x[i % 8 / 2];
        double y = exp(half * (2 * (i / 8) + 1 + node));
        sum += half * bml_ssc__gauss_w[i % 8 / 2] * y / sqrt(omega_m * y * y * y + 1 - omega_m);
    }
    return (1 + z) * sum * BML_SSC__C / (H0 * 1e5) * BML_SSC__MPC;
}

/* Defaults and checks of an observer; *distance in cm. */
static int bml_ssc__observer(double *distance, double *delta, const bml_ssc_observer *o) {
    *delta = o->delta == 0 ? 1 : o->delta;
    *distance = o->distance;
    if (!(o->redshift >= 0 && o->redshift < 1e4) || !(*delta > 0 && *delta < 1e6)) {
        return BML_SSC_BAD_OBSERVER;
    }
    double H0 = o->H0 == 0 ? 70 : o->H0;
    double omega_m = o->omega_m == 0 ? 0.3 : o->omega_m;
    if (*distance == 0) {
        *distance = bml_ssc_luminosity_distance(o->redshift, H0, omega_m);
    }
    return *distance > 0 && *distance < HUGE_VAL ? BML_SSC_OK : BML_SSC_BAD_OBSERVER;
}

/* nu L_nu [erg/s] per x^2 n/stay (12), stay in R0/c. */
static double bml_ssc__luminosity_unit(const bml_ssc_blob *blob) {
    return 4 * BML_SSC__PI * blob->src.R * BML_SSC__MC2 * BML_SSC__C / (3 * BML_SSC__SIGMA_T);
}

/* NaN for whoever does not look at the status. */
static int bml_ssc__no_sed(double *nuFnu, int n, int status) {
    for (int i = 0; i < n; i++)
        nuFnu[i] = (double)NAN;
    return status;
}

BML_SSC_DEF int bml_ssc_sed(double *nuFnu, const double *nu, int n, const bml_ssc_blob *blob,
                            const bml_ssc_observer *observer, bml_ssc_component component) {
    if (!nuFnu || n < 1) {
        return BML_SSC_BAD_ARGUMENT;
    }
    if (!nu || !blob || !blob->started || !observer) {
        return bml_ssc__no_sed(nuFnu, n, BML_SSC_BAD_ARGUMENT);
    }
    const double *stay;
    const double *v = bml_ssc__seen(&stay, blob, component);
    if (!v) {
        return bml_ssc__no_sed(nuFnu, n, BML_SSC_BAD_COMPONENT);
    }
    double d;
    double delta;
    int status = bml_ssc__observer(&d, &delta, observer);
    if (status) {
        return bml_ssc__no_sed(nuFnu, n, status);
    }
    double scale = bml_ssc__luminosity_unit(blob) * pow(delta, 4) / (4 * BML_SSC__PI * d * d);
    double shift = (1 + observer->redshift) / delta * BML_SSC__H / BML_SSC__MC2;
    bml_ssc__curve c = bml_ssc__photons(blob, v, stay);
    for (int i = 0; i < n; i++) {
        if (!(nu[i] > 0 && nu[i] < HUGE_VAL)) {
            return bml_ssc__no_sed(nuFnu, n, BML_SSC_BAD_FREQUENCY);
        }
        double tau = 0;
        if (observer->ebl) {
            status = bml_ssc_ebl_depth(&tau, observer->ebl, observer->redshift, nu[i]);
        }
        if (status) {
            return bml_ssc__no_sed(nuFnu, n, status);
        }
        nuFnu[i] = scale * exp(bml_ssc__evaluate(&c, log(nu[i] * shift)) - tau);
    }
    return BML_SSC_OK;
}

BML_SSC_DEF int bml_ssc_energy(bml_ssc_balance *out, const bml_ssc_blob *blob) {
    if (!out || !blob || !blob->started) {
        return BML_SSC_BAD_ARGUMENT;
    }
    const bml_ssc__ledger *ledger = blob->ledger;
    double hx = blob->tab->r * blob->tab->h;
    memset(out, 0, sizeof *out);
    out->electrons = bml_ssc__dot(blob->M, blob->gamma, blob->ng);
    for (int k = 0; k < blob->nx; k++)
        out->photons += hx * blob->x2[k] * blob->n[k];
    out->injected = ledger[BML_SSC__INJECTED].now;
    out->escaped_electrons = ledger[BML_SSC__ESC_E].now;
    out->escaped_photons = ledger[BML_SSC__ESC_X].now;
    out->cooled = ledger[BML_SSC__COOLED].now;
    out->expansion = ledger[BML_SSC__WORK].now;
    out->exchanged = ledger[BML_SSC__TAKEN].now;
    if (!(out->injected > 0)) {
        return BML_SSC_OK;
    }
    double stored = out->electrons + out->photons;
    double gone = out->escaped_electrons + out->escaped_photons + out->cooled;
    double spent = out->expansion + out->exchanged;
    out->residual = 1 - (stored + gone + spent) / out->injected;
    return BML_SSC_OK;
}

/* Peak of x^2 (v + w)/stay: ln x and the value, by a parabola through the highest node and its neighbours in
   log-log. */
static double bml_ssc__peak(double *ln_x, const bml_ssc_blob *blob, const double *v, const double *w,
                            const double *stay) {
    double best = 0;
    double left = 0;
    double right = 0;
    double before = 0;
    int at = -1;
    for (int k = 0; k < blob->nx; k++) {
        double value = blob->x2[k] * (v[k] + (w ? w[k] : 0));
        if (stay) {
            value /= stay[k];
        }
        if (at == k - 1 && at >= 0) {
            right = value;
        }
        if (value > best) {
            best = value;
            left = before;
            right = 0;
            at = k;
        }
        before = value;
    }
    *ln_x = at < 0 ? 0 : log(blob->x[at]);
    if (!(left > 0 && right > 0)) {
        return best;
    }
    left = log(left);
    right = log(right);
    double bend = left - 2 * log(best) + right;
    if (!(bend < 0)) {
        return best;
    }
    double u = 0.5 * (left - right) / bend;
    *ln_x += u * blob->tab->r * blob->tab->h;
    return best * exp(-0.25 * (left - right) * u);
}

BML_SSC_DEF int bml_ssc_derive(bml_ssc_derived *out, const bml_ssc_blob *blob, const bml_ssc_observer *observer) {
    if (!out || !blob || !blob->started || !observer) {
        return BML_SSC_BAD_ARGUMENT;
    }
    memset(out, 0, sizeof *out);
    double d;
    double delta;
    int status = bml_ssc__observer(&d, &delta, observer);
    if (status) return status;
    bml_ssc_balance now;
    bml_ssc_energy(&now, blob);
    bml_ssc_drive drive;
    bml_ssc__drive(&drive, &blob->src, blob->t);
    double rho3 = drive.R * drive.R * drive.R;
    double unit = BML_SSC__MC2 / (BML_SSC__SIGMA_T * blob->src.R * rho3);
    double B = drive.B * blob->src.B;
    double R = drive.R * blob->src.R;
    out->U_e = now.electrons * unit;
    out->U_rad = now.photons * unit;
    out->U_B = B * B / (8 * BML_SSC__PI);
    out->L_injected = 3 * drive.injection * blob->src.compactness * bml_ssc__luminosity_unit(blob);
    double area = 2 * BML_SSC__PI * R * R;
    double U = out->U_e + out->U_B + out->U_rad;
    out->P_jet = area * delta * delta * BML_SSC__C * U;
    unit = bml_ssc__luminosity_unit(blob) * pow(delta, 4);
    double nu_unit = BML_SSC__MC2 / BML_SSC__H * delta / (1 + observer->redshift);
    double ln_x;
    const double *stay;
    const double *v = bml_ssc__seen(&stay, blob, BML_SSC_SYNCHROTRON);
    out->L_synchrotron = unit * bml_ssc__peak(&ln_x, blob, v, NULL, stay);
    out->nu_synchrotron = exp(ln_x) * nu_unit;
    v = bml_ssc__seen(&stay, blob, BML_SSC_COMPTON);
    const double *w = bml_ssc__seen(&stay, blob, BML_SSC_EXTERNAL);
    out->L_compton = unit * bml_ssc__peak(&ln_x, blob, v, w, stay);
    if (out->L_compton > 0) {
        out->nu_compton = exp(ln_x) * nu_unit;
    }
    out->compton_dominance = out->L_synchrotron > 0 ? out->L_compton / out->L_synchrotron : 0;
    return BML_SSC_OK;
}

/* >> around the blob -------------------------------------------------------------------------------------------------
   Photons that are not of the blob, or meet others on their way out. */

BML_SSC_DEF int bml_ssc_field_energy(double *u, const bml_ssc_external *field, double distance, double Gamma,
                                     char *why) {
    if (u) {
        *u = (double)NAN;
    }
    if (!u || !field) {
        return bml_ssc__say(why, BML_SSC_BAD_ARGUMENT);
    }
    bml_ssc_external e = *field;
    if (!bml_ssc__geometric(&e)) {
        return bml_ssc__fail(why, BML_SSC_SPECTRUM, "external field: kind = %d has no geometry", (int)e.kind);
    }
    int status = bml_ssc__check_geometry(why, &e);
    if (status) return status;
    if (!(Gamma >= 1 && Gamma <= 1e4)) {
        return bml_ssc__fail(why, BML_SSC_PARAMETER, "Gamma = %g: must be in [1, 1e4]", Gamma);
    }
    if (e.kind != BML_SSC_FIELD_CMB && !(distance >= 1e10 && distance <= 1e26)) {
        return bml_ssc__fail(why, BML_SSC_PARAMETER, "distance = %g: must be in [1e10, 1e26]", distance);
    }
    bml_ssc__beam beam[BML_SSC__BEAMS];
    int n = bml_ssc__beams(beam, &e, distance);
    *u = 0;
    for (int i = 0; i < n; i++) {
        double D = bml_ssc__beam_doppler(beam[i].away, Gamma);
        *u += D * D * beam[i].u;
    }
    return bml_ssc__say(why, BML_SSC_OK);
}

#define BML_SSC__LINE(angstrom) (BML_SSC__H * BML_SSC__C / ((angstrom)*1e-8 * BML_SSC__MC2))
/* Of each line, those of one shell together: energy, and luminosity over that of H beta. */
static const double bml_ssc__line_energy[] = {
    BML_SSC__LINE(1215.67), /* Ly alpha */
    BML_SSC__LINE(5877.29), /* He I */
    BML_SSC__LINE(2798.75), /* Mg II */
    BML_SSC__LINE(1908.73), /* C III] */
    BML_SSC__LINE(4687.02), /* He II */
    BML_SSC__LINE(977.02),  /* C III */
    BML_SSC__LINE(1396.76), /* Si IV */
    BML_SSC__LINE(1402.06), /* O IV] */
    BML_SSC__LINE(1549.06), /* C IV */
    BML_SSC__LINE(990.69),  /* N III */
    BML_SSC__LINE(4862.68), /* H beta */
    BML_SSC__LINE(1025.72), /* Ly beta */
    BML_SSC__LINE(1033.83), /* O VI */
    BML_SSC__LINE(6564.61), /* H alpha */
    BML_SSC__LINE(937.80),  /* Ly epsilon */
    BML_SSC__LINE(949.74),  /* Ly delta */
    BML_SSC__LINE(4341.68), /* H gamma */
    BML_SSC__LINE(4102.89), /* H delta */
    BML_SSC__LINE(1718.55), /* N IV */
    BML_SSC__LINE(1721.89), /* Al II */
    BML_SSC__LINE(1304.35), /* O I */
    BML_SSC__LINE(1306.82), /* Si II */
    BML_SSC__LINE(1066.66), /* Ar I */
    BML_SSC__LINE(5539.43), /* [Cl III] */
    BML_SSC__LINE(2423.83), /* [Ne IV] */
};
static const double bml_ssc__line_strength[] = {
    12,    /* Ly alpha */
    0.092, /* He I */
    1.7,   /* Mg II */
    1.8,   /* C III] */
    0.016, /* He II */
    0.6,   /* C III */
    1,     /* Si IV */
    1,     /* O IV] */
    2.9,   /* C IV */
    0.6,   /* N III */
    1,     /* H beta */
    1.1,   /* Ly beta */
    1.1,   /* O VI */
    3.6,   /* H alpha */
    0.24,  /* Ly epsilon */
    0.24,  /* Ly delta */
    0.3,   /* H gamma */
    0.12,  /* H delta */
    0.3,   /* N IV */
    0.3,   /* Al II */
    0.23,  /* O I */
    0.23,  /* Si II */
    0.094, /* Ar I */
    0.039, /* [Cl III] */
    0.051, /* [Ne IV] */
};
#undef BML_SSC__LINE
static const struct {
    double radius; /* over that of H beta */
    int lines;
} bml_ssc__line_shell[BML_SSC_LINE_SHELLS] = {
    {0.27, 1}, /* Ly alpha */
    {0.39, 1}, /* He I */
    {0.45, 1}, /* Mg II */
    {0.46, 1}, /* C III] */
    {0.63, 1}, /* He II */
    {0.83, 4}, /* C III, Si IV, O IV], C IV */
    {0.85, 1}, /* N III */
    {1, 1},    /* H beta */
    {1.2, 2},  /* Ly beta, O VI */
    {1.3, 1},  /* H alpha */
    {2.7, 1},  /* Ly epsilon */
    {2.8, 1},  /* Ly delta */
    {3.2, 1},  /* H gamma */
    {3.4, 1},  /* H delta */
    {3.8, 2},  /* N IV, Al II */
    {4, 2},    /* O I, Si II */
    {4.5, 1},  /* Ar I */
    {4.8, 1},  /* [Cl III] */
    {5.8, 1},  /* [Ne IV] */
};

BML_SSC_DEF int bml_ssc_broad_lines(bml_ssc_external *field, double L_disc, double fraction, double R_Hbeta,
                                    char *why) {
    const double sum = 30.652; /* of all strengths */
    int line = 0;
    if (!field) {
        return bml_ssc__say(why, BML_SSC_BAD_ARGUMENT);
    }
    for (int i = 0; i < BML_SSC_LINE_SHELLS; i++) {
        bml_ssc_external *e = &field[i];
        double its = 0;
        memset(e, 0, sizeof *e);
        for (int k = 0; k < bml_ssc__line_shell[i].lines; k++)
            its += bml_ssc__line_strength[line + k];
        e->kind = BML_SSC_FIELD_SHELL;
        e->L_disc = L_disc;
        e->fraction = fraction * its / sum;
        e->radius = bml_ssc__line_shell[i].radius * R_Hbeta;
        e->table_x = bml_ssc__line_energy + line;
        e->table_n = bml_ssc__line_strength + line;
        e->n_table = bml_ssc__line_shell[i].lines;
        line += bml_ssc__line_shell[i].lines;
        bml_ssc_external checked = *e;
        int status = bml_ssc__check_geometry(why, &checked);
        if (status) return status;
    }
    return bml_ssc__say(why, BML_SSC_OK);
}

/* Frequencies must be positive and finite. */
static int bml_ssc__check_nu(char *why, const double *nu, int n) {
    for (int i = 0; i < n; i++) {
        if (!(nu[i] > 0 && nu[i] < HUGE_VAL)) {
            return bml_ssc__fail(why, BML_SSC_BAD_FREQUENCY, "nu[%d] = %g: must be positive and finite", i, nu[i]);
        }
    }
    return BML_SSC_OK;
}

/* Photons on the way, by the energy y = x (1 - mu)/2 at which they would come head-on: tau(x1) is one sum over y of
   number times sigma(x1 y), whatever path and angles. Lattice of y: LOW ... LOW 10^24. */
#define BML_SSC__PATH 480
#define BML_SSC__PATH_STEP (0.05 * BML_SSC__LN10)
#define BML_SSC__PATH_LOW 1e-18

/* Count photons, number [PATH]: the number of x times sigma_T (1 - mu) dl, into the two nodes beside ln_y, which is
   counted from that of PATH_LOW on. */
static void bml_ssc__count(double *number, double ln_y, double count) {
    double at = ln_y * (1 / BML_SSC__PATH_STEP);
    if (!(at >= 0 && at < BML_SSC__PATH - 1)) {
        return;
    }
    int k = (int)at;
    number[k] += count * (k + 1 - at);
    number[k + 1] += count * (at - k);
}

/* x = s |s|. */
static double bml_ssc__signed_root(double x) {
    return x < 0 ? -sqrt(-x) : sqrt(x);
}

/* One field along the path, from distance on, until the field is a point behind: steps of equal ln l; but of equal s,
   ln(l/radius) = s |s|, through a shell, whose light has a logarithmic peak at l = radius. exp(-tau) is within 0.004
   dex of a fine sum where tau < 7. */
static void bml_ssc__walk(double *number, const bml_ssc_external *e, double distance) {
    const int steps = 160;
    bml_ssc__beam beam[BML_SSC__BEAMS];
    double energy[BML_SSC__LINES];
    double share[BML_SSC__LINES];
    double ln_energy[BML_SSC__LINES];
    int n_lines = bml_ssc__lines(energy, share, e);
    for (int k = 0; k < n_lines; k++)
        ln_energy[k] = log(energy[k]);
    int shell = e->kind == BML_SSC_FIELD_SHELL;
    double R_g = BML_SSC__G_M_SUN * e->M_bh / (BML_SSC__C * BML_SSC__C);
    double size = e->kind == BML_SSC_FIELD_DISC ? e->r_out * R_g : e->radius;
    double unit = shell ? e->radius : distance;
    double from = log(distance / unit);
    double to = log(30 * (distance + size) / unit);
    if (shell) {
        from = bml_ssc__signed_root(from);
        to = bml_ssc__signed_root(to);
    }
    double step = (to - from) / steps;
    for (int i = 0; i < steps; i++) {
        double s = from + (i + 0.5) * step;
        double ln_l = shell ? s * fabs(s) : s;
        double width = shell ? 2 * fabs(s) * step : step;
        double l = unit * exp(ln_l);
        int n = bml_ssc__beams(beam, e, l);
        for (int b = 0; b < n; b++) {
            double away = beam[b].away;
            double count = BML_SSC__SIGMA_T / BML_SSC__MC2 * beam[b].u / beam[b].scale * away * l * width;
            double ln_y = log(0.5 / BML_SSC__PATH_LOW * beam[b].scale * away);
            for (int k = 0; k < n_lines; k++)
                bml_ssc__count(number, ln_y + ln_energy[k], count * share[k] / energy[k]);
        }
    }
}

/* Photons counted at kT, number [PATH], spread as Planck's law in numbers from 1e-3 kT to 40 kT: heat [PATH + HEAT],
   whose first node lies HEAT_BELOW under the first of number. */
#define BML_SSC__HEAT 92
#define BML_SSC__HEAT_BELOW 60
static void bml_ssc__path_heat(double *heat, const double *number) {
    for (int m = 0; m <= BML_SSC__HEAT; m++) {
        double y = exp((m - BML_SSC__HEAT_BELOW) * BML_SSC__PATH_STEP);
        double share = bml_ssc__planck_cell(y, BML_SSC__PATH_STEP) / y; /* kT's share over its energy */
        for (int k = 0; k < BML_SSC__PATH; k++)
            heat[k + m] += share * number[k];
    }
}

/* tau at the photon energy x1: the sum over a lattice number [n] of y from `first` on. */
static double bml_ssc__path_sum(const double *number, int n, double first, double x1) {
    double tau = 0;
    first += log(x1);
    for (int k = 0; k < n; k++) {
        double at = first + k * BML_SSC__PATH_STEP;
        if (number[k] > 0 && at > 0) {
            tau += number[k] * bml_ssc__pair_section(exp(at));
        }
    }
    return tau;
}

BML_SSC_DEF int bml_ssc_field_depth(double *tau, const double *nu, int n, const bml_ssc_path *path, char *why) {
    if (!tau || !nu || n < 1 || !path || path->n_fields < 0 || (path->n_fields > 0 && !path->fields)) {
        return bml_ssc__say(why, BML_SSC_BAD_ARGUMENT);
    }
    if (!(path->distance >= 1e10 && path->distance <= 1e26)) {
        return bml_ssc__fail(why, BML_SSC_PARAMETER, "distance = %g: must be in [1e10, 1e26]", path->distance);
    }
    if (!(path->redshift >= 0 && path->redshift < 1e4)) {
        return bml_ssc__fail(why, BML_SSC_PARAMETER, "redshift = %g: must be in [0, 1e4)", path->redshift);
    }
    int status = bml_ssc__check_nu(why, nu, n);
    if (status) return status;
    double unit = BML_SSC__H / BML_SSC__MC2 * (1 + path->redshift);
    double first = log(BML_SSC__PATH_LOW) - BML_SSC__HEAT_BELOW * BML_SSC__PATH_STEP;
    double warm[BML_SSC__PATH] = {0};                   /* photons of all fields, counted at kT */
    double number[BML_SSC__PATH + BML_SSC__HEAT] = {0}; /* at their own energies */
    for (int f = 0; f < path->n_fields; f++) {
        bml_ssc_external e = path->fields[f];
        if (!bml_ssc__geometric(&e) || e.kind == BML_SSC_FIELD_CMB) {
            continue;
        }
        status = bml_ssc__check_geometry(why, &e);
        if (status) return status;
        bml_ssc__walk(bml_ssc__is_thermal(&e) ? warm : number + BML_SSC__HEAT_BELOW, &e, path->distance);
    }
    bml_ssc__path_heat(number, warm);
    for (int i = 0; i < n; i++)
        tau[i] = bml_ssc__path_sum(number, BML_SSC__PATH + BML_SSC__HEAT, first, nu[i] * unit);
    return bml_ssc__say(why, BML_SSC_OK);
}

/* nu B_nu over (sigma/pi) T^4: Planck's law of y = h nu/(kT), per ln nu, with the whole integral 1. */
static double bml_ssc__planck(double y) {
    double pi4 = BML_SSC__PI * BML_SSC__PI * BML_SSC__PI * BML_SSC__PI;
    return y < 700 ? 15 / pi4 * y * y * y * y / expm1(y) : 0;
}

/* What shines in a disc or torus: temperatures kT/h [Hz], and each one's share of the luminosity; [RINGS] out. Returns
   how many. */
#define BML_SSC__RINGS 100
static int bml_ssc__rings(double *heat, double *share, const bml_ssc_external *e) {
    if (e->kind == BML_SSC_FIELD_RING) {
        heat[0] = BML_SSC__K * e->temperature / BML_SSC__H;
        share[0] = 1;
        return 1;
    }
    double R_g = BML_SSC__G_M_SUN * e->M_bh / (BML_SSC__C * BML_SSC__C);
    double step = log(e->r_out / e->r_in) / BML_SSC__RINGS;
    double whole = 0;
    for (int i = 0; i < BML_SSC__RINGS; i++) {
        double R = e->r_in * exp((i + 0.5) * step) * R_g;
        double flux = bml_ssc__disc_flux(R, e->r_in * R_g, e);
        heat[i] = BML_SSC__K * bml_ssc__disc_temperature(flux) / BML_SSC__H;
        share[i] = flux * R * R;
        whole += share[i];
    }
    for (int i = 0; i < BML_SSC__RINGS; i++)
        share[i] /= whole;
    return BML_SSC__RINGS;
}

BML_SSC_DEF int bml_ssc_thermal_sed(double *nuFnu, const double *nu, int n, const bml_ssc_external *field,
                                    const bml_ssc_observer *observer, char *why) {
    if (!nuFnu || !nu || n < 1 || !field || !observer) {
        return bml_ssc__say(why, BML_SSC_BAD_ARGUMENT);
    }
    bml_ssc_external e = *field;
    double d;
    double delta;
    if (e.kind != BML_SSC_FIELD_DISC && e.kind != BML_SSC_FIELD_RING) {
        return bml_ssc__fail(why, BML_SSC_SPECTRUM, "external field: kind = %d: only DISC and RING shine by themselves",
                             (int)e.kind);
    }
    int status = bml_ssc__check_nu(why, nu, n);
    if (status) return status;
    status = bml_ssc__check_geometry(why, &e);
    if (status) return status;
    status = bml_ssc__observer(&d, &delta, observer);
    if (status) {
        return bml_ssc__say(why, status);
    }
    double L = e.kind == BML_SSC_FIELD_RING ? e.fraction * e.L_disc : e.L_disc;
    double scale = L / (4 * BML_SSC__PI * d * d);
    double heat[BML_SSC__RINGS];
    double share[BML_SSC__RINGS];
    int rings = bml_ssc__rings(heat, share, &e);
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int k = 0; k < rings; k++)
            sum += share[k] * bml_ssc__planck(nu[i] * (1 + observer->redshift) / heat[k]);
        nuFnu[i] = scale * sum;
    }
    return bml_ssc__say(why, BML_SSC_OK);
}

/* An elliptical, lambda [A] and log10 of lambda L_lambda over its value in R: the E template of Coleman, Wu & Weedman
   1980 (ApJS 43, 393), extended below 1400 A and beyond 10000 A by Bolzonella, Miralles & Pello 2000 (A&A 363, 476)
   with the models of Bruzual & Charlot 1993, averaged over +-5 %; beyond 20900 A the Rayleigh-Jeans law. */
static const double bml_ssc__host[][2] = {
    {1000, -2.118}, {1250, -2.143}, {1528, -2.194},  {1900, -2.087},  {2250, -1.936},  {2400, -1.965}, {2550, -1.848},
    {2700, -1.585}, {2850, -1.336}, {3000, -1.165},  {3300, -0.904},  {3600, -0.792},  {3750, -0.768}, {3900, -0.64},
    {4050, -0.52},  {4150, -0.441}, {4300, -0.358},  {4450, -0.278},  {4700, -0.181},  {5000, -0.152}, {5450, -0.085},
    {6410, 0},      {7200, 0.038},  {7980, 0.052},   {9000, 0.097},   {10500, 0.128},  {12350, 0.088}, {14500, 0.048},
    {16000, 0.068}, {17500, 0.036}, {19000, -0.051}, {20900, -0.124}, {240000, -3.304}};

BML_SSC_DEF int bml_ssc_host_sed(double *nuFnu, const double *nu, int n, double L_R, const bml_ssc_observer *observer) {
    if (!nuFnu || !nu || n < 1 || !observer) {
        return BML_SSC_BAD_ARGUMENT;
    }
    double d;
    double delta;
    int status = bml_ssc__observer(&d, &delta, observer);
    if (status) return status;
    status = bml_ssc__check_nu(NULL, nu, n);
    if (status) return status;
    if (!(L_R >= 0 && L_R < HUGE_VAL)) {
        return BML_SSC_PARAMETER;
    }
    int last = (int)(sizeof bml_ssc__host / sizeof *bml_ssc__host) - 1;
    double scale = L_R / (4 * BML_SSC__PI * d * d);
    for (int i = 0; i < n; i++) {
        double lambda = 1e8 * BML_SSC__C / (nu[i] * (1 + observer->redshift));
        nuFnu[i] = 0;
        if (!(lambda >= bml_ssc__host[0][0] && lambda <= bml_ssc__host[last][0])) {
            continue;
        }
        int k = 0;
        while (k < last - 1 && lambda > bml_ssc__host[k + 1][0])
            k++;
        const double *a = bml_ssc__host[k];
        const double *b = bml_ssc__host[k + 1];
        double w = log(lambda / a[0]) / log(b[0] / a[0]);
        double log_share = a[1] + w * (b[1] - a[1]);
        nuFnu[i] = scale * pow(10, log_share);
    }
    return BML_SSC_OK;
}

/* >> data ------------------------------------------------------------------------------------------------------------
   One point after another; nothing is kept. */

BML_SSC_DEF void bml_ssc_point_errors(bml_ssc_point *point, double err_lo, double err_hi) {
    double F = point->nuFnu;
    point->sigma_hi = log10((F + err_hi) / F);
    point->sigma_lo = err_lo < F ? log10(F / (F - err_lo)) : err_lo / (F * BML_SSC__LN10);
}

/* ln of the normal distribution function; the asymptotic series where erfc underflows. */
static double bml_ssc__ln_phi(double z) {
    if (z > -20) {
        return log(0.5 * erfc(-z / sqrt(2.0)));
    }
    double z2 = z * z;
    return -0.5 * z2 - log(-z * sqrt(2 * BML_SSC__PI)) + log1p(-1 / z2 + 3 / (z2 * z2));
}

/* One term of the likelihood; extra: the scatter squared. */
static int bml_ssc__point_term(double *term, const bml_ssc_point *p, double F, double extra) {
    if (!(F >= 0 && F < HUGE_VAL)) {
        return BML_SSC_PARAMETER;
    }
    if (!(p->nuFnu > 0 && p->nuFnu < HUGE_VAL)) {
        return BML_SSC_POINT;
    }
    if (!(p->sigma_hi >= 0 && p->sigma_hi < HUGE_VAL)) {
        return BML_SSC_POINT;
    }
    if (p->upper_limit) {
        double sigma = p->sigma_hi == 0 ? p->nuFnu / 1.6448536269514722 : p->sigma_hi;
        *term = bml_ssc__ln_phi((p->nuFnu - F) / sigma);
        return BML_SSC_OK;
    }
    if (!(p->sigma_lo >= 0 && p->sigma_lo < HUGE_VAL)) {
        return BML_SSC_POINT;
    }
    double r = log10(F / p->nuFnu);
    double sigma = r > 0 ? p->sigma_hi : p->sigma_lo;
    double var = sigma * sigma + extra;
    if (!(var > 0)) {
        return BML_SSC_POINT;
    }
    *term = F > 0 ? -0.5 * (r * r / var + log(2 * BML_SSC__PI * var)) : -HUGE_VAL;
    return BML_SSC_OK;
}

BML_SSC_DEF int bml_ssc_log_likelihood(double *ln_l, const double *model, const bml_ssc_point *points, int n,
                                       double ln_f) {
    if (!ln_l || !model || !points || n < 1) {
        return BML_SSC_BAD_ARGUMENT;
    }
    double sum = 0;
    double extra = exp(2 * ln_f);
    *ln_l = (double)NAN;
    if (!(extra < HUGE_VAL)) {
        return BML_SSC_PARAMETER;
    }
    for (int i = 0; i < n; i++) {
        double term;
        int status = bml_ssc__point_term(&term, &points[i], model[i], extra);
        if (status) return status;
        sum += term;
    }
    *ln_l = sum;
    return BML_SSC_OK;
}

/* >> batch -----------------------------------------------------------------------------------------------------------
   A blob per thread; sources are dealt out one by one. */

static int bml_ssc__one_of_batch(const bml_ssc_batch_job *job, bml_ssc_blob *blob, int row) {
    double *out = job->out + (ptrdiff_t)row * job->n;
    int status = bml_ssc_solve(blob, &job->sources[row]);
    int read = status;
    if (!status || status == BML_SSC_NOT_CONVERGED) {
        if (job->observers) {
            read = bml_ssc_sed(out, job->grid, job->n, blob, &job->observers[row], job->component);
        } else {
            read = bml_ssc_spectrum(out, job->grid, job->n, blob, job->component);
        }
    }
    if (read) {
        status = read;
    }
    for (int i = 0; i < job->n && read; i++)
        out[i] = (double)NAN;
    if (job->status) {
        job->status[row] = status;
    }
    return status;
}

static void bml_ssc__solve_rows(const bml_ssc_batch_job *job, bml_ssc_blob **blobs, int threads, int *first_status) {
    int first_row = job->n_sources;
    (void)threads;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(threads)
#endif
    for (int row = 0; row < job->n_sources; row++) {
        int me = 0;
#ifdef _OPENMP
        me = omp_get_thread_num();
#endif
        int status = bml_ssc__one_of_batch(job, blobs[me], row);
        if (!status) {
            continue;
        }
#ifdef _OPENMP
#pragma omp critical(bml_ssc__first)
#endif
        if (row < first_row) {
            first_row = row;
            *first_status = status;
        }
    }
}

BML_SSC_DEF int bml_ssc_batch(const bml_ssc_batch_job *job, const bml_ssc *tables) {
    if (!job || !tables || !job->out || !job->sources || !job->grid || job->n_sources < 1 || job->n < 1) {
        return BML_SSC_BAD_ARGUMENT;
    }
    int threads = 1;
#ifdef _OPENMP
    threads = job->threads > 0 ? job->threads : omp_get_max_threads();
    threads = bml_ssc__clamp(threads, 1, BML_SSC__MIN(job->n_sources, 4096));
#endif
    bml_ssc_blob **blobs;
    blobs = (bml_ssc_blob **)BML_SSC_MALLOC((size_t)threads * sizeof *blobs);
    if (!blobs) {
        return BML_SSC_NO_MEMORY;
    }
    int made = 0;
    int status = BML_SSC_OK;
    while (made < threads && !status) {
        status = bml_ssc_blob_create(&blobs[made], tables, NULL);
        made += !status;
    }
    if (!status) {
        bml_ssc__solve_rows(job, blobs, threads, &status);
    }
    for (int thread = 0; thread < made; thread++)
        bml_ssc_blob_free(blobs[thread]);
    BML_SSC_FREE(blobs);
    return status;
}

#ifdef BML_SSC__OWN_MALLOC
#undef BML_SSC__OWN_MALLOC
#undef BML_SSC_MALLOC
#undef BML_SSC_FREE
#endif
#undef BML_SSC__RESTRICT
#undef BML_SSC__ADD

#undef BML_SSC__PI
#undef BML_SSC__LN10
#undef BML_SSC__LN4
#undef BML_SSC__C
#undef BML_SSC__H
#undef BML_SSC__K
#undef BML_SSC__MC2
#undef BML_SSC__SIGMA_T
#undef BML_SSC__E
#undef BML_SSC__B_CRIT
#undef BML_SSC__LAMBDA_C
#undef BML_SSC__A_RAD
#undef BML_SSC__MPC
#undef BML_SSC__G_M_SUN
#undef BML_SSC__E_SPLIT
#undef BML_SSC__G_HIGH
#undef BML_SSC__G_LOW
#undef BML_SSC__Q_LOW
#undef BML_SSC__Y_LOW
#undef BML_SSC__Y_HIGH
#undef BML_SSC__FINE
#undef BML_SSC__LOG_X_LOW
#undef BML_SSC__LOG_GAMMA_HIGH
#undef BML_SSC__SLOTS
#undef BML_SSC__GROUP
#undef BML_SSC__LANES
#undef BML_SSC__ROWS

#undef BML_SSC__BEAMS
#undef BML_SSC__LINES
#undef BML_SSC__PATH
#undef BML_SSC__PATH_STEP
#undef BML_SSC__PATH_LOW
#undef BML_SSC__RINGS
#undef BML_SSC__HEAT
#undef BML_SSC__HEAT_BELOW
#undef BML_SSC__MIN
#undef BML_SSC__MAX

#endif /* BML_SSC_IMPLEMENTATION */

/* HISTORY
   0.1.0  two grids, light curves, the observer, EBL, the likelihood, batches
   0.2.0  reasons as text, required parameters, photon escape of a sphere, driven sources averaged over a step, fields
          by geometry, disc, torus and host galaxy, exchange hook

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
