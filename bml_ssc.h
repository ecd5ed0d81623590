/* bml_ssc.h: spectra of one-zone synchrotron self-Compton (SSC) sources, in C99, in well under a millisecond each.

   A blob of radius R with a tangled magnetic field B is fed with relativistic electrons. They cool by synchrotron and
   inverse Compton emission and escape; the header follows electrons and photons in time and gives the spectrum that an
   observer sees. It is meant to be called a million times by a sampler and to be read by a student.

   In ONE source file:           #define BML_SSC_IMPLEMENTATION
                                 #include "bml_ssc.h"
   everywhere else just:         #include "bml_ssc.h"             and link with -lm

       #define BML_SSC_IMPLEMENTATION
       #include "bml_ssc.h"
       #include <stdio.h>

       int main(void) {
           bml_ssc *tables;                                        // made once, read by all threads
           bml_ssc_blob *blob;                                     // one per thread
           char why[BML_SSC_MESSAGE];                              // the reason when something cannot be made
           bml_ssc_source source = {.R = 1e16, .B = 0.1, .gamma_min = 1e3, .gamma_max = 1e6, .L_e = 1e42, .p = 2.2};
           bml_ssc_observer observer = {.redshift = 0.1, .delta = 20};
           double nu[2] = {1e17, 1e25}, nuFnu[2];                  // [Hz], [erg cm^-2 s^-1]

           if (bml_ssc_create(&tables, NULL, why) || bml_ssc_blob_create(&blob, tables, why))
               return fprintf(stderr, "%s\n", why), 1;
           int status = bml_ssc_solve(blob, &source);
           if (!status) status = bml_ssc_sed(nuFnu, nu, 2, blob, &observer, BML_SSC_TOTAL);
           if (status) return fprintf(stderr, "%s\n", bml_ssc_strerror(status)), 1;
           printf("nuFnu at 10^17 Hz: %.3g, at 10^25 Hz: %.3g erg/cm2/s\n", nuFnu[0], nuFnu[1]);
           bml_ssc_blob_free(blob);
           bml_ssc_free(tables);
           return 0;
       }

   It refuses: parameters that are NaN, infinite or out of the stated range; gamma_max <= gamma_min; to extrapolate an
   EBL table; to call a solution converged that is not. It does no hadrons, no anisotropic fields, no spatial structure. */

#ifndef BML_SSC_H
#define BML_SSC_H

/* ---- Setup, use, shutdown ---------------------------------------------------------------------------------------

   1. bml_ssc_create(&tables, &config, why): tabulates the kernels (about 0.1 s). Constant afterwards, shared by threads.
   2. bml_ssc_blob_create(&blob, tables, why): the workspace and state of one source. One per thread, used again and again.
   3. bml_ssc_solve(blob, &source): from an empty blob to source.t_end. Or by hand, for light curves and flares:
          bml_ssc_begin(blob, &source);
          for (t = 0.5; t < 20; t += 0.5) { bml_ssc_advance(blob, t); bml_ssc_sed(...); }
      with config.time_step at 0.02 or so: the default is made for spectra at t = 5 and after, and is off by tens of per
      cent at t = 0.5; or, for the stationary source, bml_ssc_begin and bml_ssc_steady.
   4. Read the blob as often as you like: bml_ssc_sed (observer), bml_ssc_spectrum (comoving), bml_ssc_electrons,
      bml_ssc_energy (the balance), bml_ssc_derive (peaks, powers, U_e/U_B).
   5. bml_ssc_log_likelihood compares a SED with data points and upper limits.
   6. bml_ssc_blob_free, bml_ssc_free.
   Many sources at once, over all cores: bml_ssc_batch.

   ---- Options ----------------------------------------------------------------------------------------------------

   BML_SSC_IMPLEMENTATION          in one file: compile the functions too
   BML_SSC_STATIC                  make all functions static (several private copies in one program)
   BML_SSC_MALLOC(n), BML_SSC_FREE(p)   own allocator: both or none
   -fopenmp                        lets bml_ssc_batch use threads; results do not depend on how many
   Compile with -O3 -march=native -fno-math-errno for the speed quoted in the README. Never -ffast-math.

   ---- Physics ----------------------------------------------------------------------------------------------------

   Units inside: time in R/c; photon energy x = h nu/(m_e c^2); electron energy gamma; N(gamma) and n(x) are densities
   times sigma_T R, so both are pure numbers; b = B/B_crit with B_crit = m_e^2 c^3/(e hbar) = 4.414e13 G.

     dN/dt = Q(gamma) - N/f + d(|gamma_dot| N)/dgamma           f = electron_escape, in units of R/c            (1)
     dn/dt = q_syn + q_ic - n (1 + kappa)                                                                        (2)
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
     nu L_nu = x^2 n 4 pi R m_e c^3/(3 sigma_T): the photons in the blob leave it in R/c                          (12)
     nu_obs = delta nu/(1 + z),   nu F_nu = delta^4 nu L_nu exp(-tau)/(4 pi d_L^2)                                (13)

   What is approximated: one zone, isotropic and homogeneous; electron and photon escape is a rate, not a crossing;
   (7) holds for gamma >> 1 and leaves out down-scattering below x; scattered photons are not taken out of the target
   field (Thomson depth << 1); photons lose no energy by expansion; pairs share the photon's energy equally, which
   misplaces the more energetic one by a factor of two at most. When NOT to use it: sources optically thick to scattering, hadronic
   models, jets whose cooling length is shorter than R, external fields seen at a fixed angle.

   Two grids:
   BML_SSC_CONVERGED  finite volumes in log gamma whose edges include gamma_max, exponentially fitted in the cooling
       depth of a cell (second order, positive, exactly conservative in number), kernels averaged over cells, BDF2 in
       time. At the default spacing of 0.1 dex, halving it moves spectra by less than 0.01 dex (median; tests).
   BML_SSC_ATHENA     reproduces the published spectra of the code ATHEvA (Mastichiadis & Kirk 1995, A&A 295, 613;
       Tzavellas et al. 2024), coarse grid and all: gamma_i = 10^(0.1 i), x_j = b 10^(0.2 j), upwind, sin(alpha) = 1,
       Compton losses cut sharply at x < 3/(4 gamma). Use it to compare with that code, not to measure a source. */

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

/* ---- API: statuses ----------------------------------------------------------------------------------------------- */

#define BML_SSC_STATUS_TABLE(X)                                                                    \
    X(OK, 0, "no error")                                                                           \
    X(BAD_ARGUMENT, -1, "a pointer is NULL or a count is not positive")                            \
    X(NO_MEMORY, -2, "out of memory")                                                              \
    X(CONFIG, -3, "configuration: unknown grid, or spacing or time step outside its range")        \
    X(PARAMETER, -4, "a parameter is NaN, infinite or outside its range")                          \
    X(ORDER, -5, "gamma_max must be above gamma_min")                                              \
    X(SPECTRUM, -6, "electron or external spectrum: bad shape, or no energy in the allowed range") \
    X(TIME, -7, "time must grow, from bml_ssc_begin on")                                           \
    X(OUTSIDE_TABLE, -8, "redshift or frequency outside the EBL table")                            \
    X(NOT_CONVERGED, -9, "not converged: the best estimate is delivered")                          \
    X(POINT, -10, "a data point is not positive and finite, or has no error")

typedef enum bml_ssc_status {
#define BML_SSC_X(name, value, text) BML_SSC_##name = (value),
    BML_SSC_STATUS_TABLE(BML_SSC_X)
#undef BML_SSC_X
        BML_SSC_STATUS_END = 1
} bml_ssc_status;

enum { BML_SSC_MESSAGE = 512 }; /* bytes of a message, NUL included */

/* The message of a status; never NULL. Thread safe. */
BML_SSC_DEF const char *bml_ssc_strerror(int status);

/* ---- API: tables and blobs --------------------------------------------------------------------------------------- */

typedef enum bml_ssc_grid { BML_SSC_CONVERGED, BML_SSC_ATHENA } bml_ssc_grid;
typedef enum bml_ssc_pitch { BML_SSC_PITCH_AVERAGED, BML_SSC_PITCH_90 } bml_ssc_pitch;

typedef struct bml_ssc_config {
    bml_ssc_grid grid;   /* 0 = BML_SSC_CONVERGED */
    double spacing;      /* of both grids [dex], 0.01 ... 0.25; 0 = 0.1. ATHENA: 0.1 only */
    double time_step;    /* longest step [R/c], 0.001 ... 1; 0 = 5/12, for t >= 5. Light curves: 0.01 ... 0.05 */
    bml_ssc_pitch pitch; /* synchrotron kernel of the converged grid; ATHENA is always at 90 degrees */
} bml_ssc_config;

typedef struct bml_ssc bml_ssc;           /* the kernel tables: constant, shared by threads */
typedef struct bml_ssc_blob bml_ssc_blob; /* one source: state and workspace, one per thread */

/* Tabulate the kernels. config may be NULL (all defaults). *out is owned by the caller and freed by bml_ssc_free, and is
   NULL on error. why [BML_SSC_MESSAGE], or NULL: the reason of a failure, "" otherwise.
   Errors: BAD_ARGUMENT, CONFIG, NO_MEMORY. */
BML_SSC_DEF int bml_ssc_create(bml_ssc **out, const bml_ssc_config *config, char *why);
BML_SSC_DEF void bml_ssc_free(bml_ssc *tables); /* NULL is fine */

/* Make a blob that works with the tables, which must outlive it. *out and why as above. Errors: BAD_ARGUMENT, NO_MEMORY. */
BML_SSC_DEF int bml_ssc_blob_create(bml_ssc_blob **out, const bml_ssc *tables, char *why);
BML_SSC_DEF void bml_ssc_blob_free(bml_ssc_blob *blob); /* NULL is fine */

/* ---- API: the source --------------------------------------------------------------------------------------------- */

typedef enum bml_ssc_injection {
    BML_SSC_POWER_LAW,    /* gamma^-p */
    BML_SSC_BROKEN,       /* gamma^-p below gamma_break, gamma^-p2 above, continuous */
    BML_SSC_LOG_PARABOLA, /* (gamma/gamma_break)^-(p + curvature log10(gamma/gamma_break)) */
    BML_SSC_CUTOFF,       /* gamma^-p exp(-gamma/gamma_break) */
    BML_SSC_TABLE         /* table_q at table_gamma, log-log interpolation, zero outside */
} bml_ssc_injection;

typedef enum bml_ssc_absorption { BML_SSC_SSA_OFF, BML_SSC_SSA, BML_SSC_SSA_HEATING } bml_ssc_absorption;

typedef enum bml_ssc_field {
    BML_SSC_BLACK_BODY,      /* temperature; grey when energy_density is given too */
    BML_SSC_FIELD_POWER_LAW, /* n ~ x^-index between x_min and x_max */
    BML_SSC_FIELD_TABLE      /* table_n at table_x, log-log interpolation, zero outside */
} bml_ssc_field;

/* A photon field from outside, isotropic in the frame of the blob, where all its members are measured. */
typedef struct bml_ssc_external {
    bml_ssc_field kind;
    double energy_density;           /* [erg cm^-3]; 0 = a T^4 for BLACK_BODY, an error for the others */
    double temperature;              /* [K] */
    double x_min, x_max, index;      /* [m_e c^2], [m_e c^2], photon index */
    const double *table_x, *table_n; /* [n_table] growing, >= 0; in any unit, normalised to energy_density */
    int n_table;
} bml_ssc_external;

/* What may change with time, as multiples of the source's own values; on entry 1, R^-m and 1 + beta t. The callback is
   called by begin, advance, sed and derive, in a batch from several threads: it must depend on t and user alone. */
typedef struct bml_ssc_drive {
    double injection, B, R;
} bml_ssc_drive;

typedef struct bml_ssc_source {
    double R;           /* radius [cm], 1e8 ... 1e22; 0 = 1e16 */
    double B;           /* magnetic field [G], 1e-8 ... 1e6; 0 = 0.1 */
    double gamma_min;   /* lowest injected Lorentz factor, >= 1; 0 = 100 */
    double gamma_max;   /* highest, <= 1e10; 0 = 1e6 */
    double compactness; /* injection compactness l_e (4), 1e-20 ... 1e3; 0 = take L_e */
    double L_e;         /* injected power, blob frame [erg s^-1]; 0 = take compactness; both 0: compactness 1e-4; both
                           given: an error */
    double p;           /* index of the injected electrons, -10 ... 10; 0 = 2 (1e-12 for a flat injection) */
    double t_end;       /* bml_ssc_solve stops here [R/c], < 1e6; 0 = 5 */
    double electron_escape; /* escape time of electrons [R/c], 1e-3 ... 1e6; 0 = 1 */

    bml_ssc_injection injection;         /* shape of the injection; 0 = power law */
    double gamma_break;                  /* BROKEN, LOG_PARABOLA, CUTOFF: see there; 0 = 1e4 */
    double p2, curvature;                /* BROKEN, 0 = 3; LOG_PARABOLA; both -10 ... 10 */
    const double *table_gamma, *table_q; /* [n_table] TABLE: growing; >= 0, in any unit */
    int n_table;

    bml_ssc_absorption self_absorption; /* 0 = off */
    int pair_production;                /* photon-photon absorption with pair injection; 0 = off */
    const bml_ssc_external *external;   /* [n_external] photon fields from outside */
    int n_external;
    double expansion_speed; /* beta of (11) [c], 0 ... 1 */
    double field_index;     /* m of (11), -10 ... 10; photons are followed from 0.1 b of the first B on */
    void (*drive)(bml_ssc_drive *now, double t, void *user); /* NULL, or sets *now for time t [R/c]; all > 0 but
                                                                 injection, which may be 0; R must not shrink */
    void *user;
} bml_ssc_source;

/* Set the six parameters from the row that the field's tables use; everything else of *source is left as it is.
   row [6]: log10 R [cm], log10 B [G], log10 gamma_min, log10 gamma_max, log10 compactness, p. */
BML_SSC_DEF void bml_ssc_source_from_row(bml_ssc_source *source, const double *row);

/* Largest Lorentz factor that a blob can confine: e B R/(m_e c^2). R [cm], B [G]. */
BML_SSC_DEF double bml_ssc_gamma_confined(double R, double B);

/* Empty the blob and make it this source, at t = 0. The source is copied; its tables and fields must live on.
   Errors: BAD_ARGUMENT, PARAMETER, ORDER, SPECTRUM; bml_ssc_message says which member. */
BML_SSC_DEF int bml_ssc_begin(bml_ssc_blob *blob, const bml_ssc_source *source);

/* Go on to time t [R/c]. Errors: BAD_ARGUMENT, TIME, PARAMETER (a bad drive), NOT_CONVERGED (a step's fixed point; the state
   is that of the last iteration). */
BML_SSC_DEF int bml_ssc_advance(bml_ssc_blob *blob, double t);

/* Go on until the spectrum changes by less than tolerance (relative, per R/c; 1e-8 ... 0.1, 0 = 1e-4) and t > 3, with growing steps. Not for
   sources with a drive or expansion (PARAMETER). Errors: as bml_ssc_advance; NOT_CONVERGED after 1000 steps. */
BML_SSC_DEF int bml_ssc_steady(bml_ssc_blob *blob, double tolerance);

/* bml_ssc_begin, then bml_ssc_advance to source->t_end. */
BML_SSC_DEF int bml_ssc_solve(bml_ssc_blob *blob, const bml_ssc_source *source);

/* What went wrong last in this blob, naming the parameter; "" if nothing. Lives as long as the blob. */
BML_SSC_DEF const char *bml_ssc_message(const bml_ssc_blob *blob);

/* ---- API: what comes out ----------------------------------------------------------------------------------------- */

typedef enum bml_ssc_component {
    BML_SSC_TOTAL,
    BML_SSC_SYNCHROTRON,
    BML_SSC_COMPTON,
    BML_SSC_EXTERNAL
} bml_ssc_component;

/* log10(x^2 n) in the blob at log10_x; -HUGE_VAL where there are no photons. Between nodes a cubic in log-log (ATHENA:
   straight lines); below the grid straight-line extrapolation. Components of the photons' last scattering: SYNCHROTRON,
   COMPTON (scattered synchrotron and Compton photons), EXTERNAL (scattered external photons).
   log10_x2n [n] out; log10_x [n] in. Thread safe on a blob at rest. Errors: BAD_ARGUMENT. */
BML_SSC_DEF int bml_ssc_spectrum(double *log10_x2n, const double *log10_x, int n, const bml_ssc_blob *blob,
                                 bml_ssc_component component);

/* log10(gamma^2 N) at log10_gamma; -HUGE_VAL where there are none. Arguments and errors as bml_ssc_spectrum. */
BML_SSC_DEF int bml_ssc_electrons(double *log10_g2N, const double *log10_gamma, int n, const bml_ssc_blob *blob);

/* Optical depth of the extragalactic background light. Bilinear in z and log10 nu, in tau itself. */
typedef struct bml_ssc_ebl {
    const double *z; /* [n_z] growing */
    const double
        *log10_nu;     /* [n_nu] growing, observer's frame [Hz]; below the first tau is 0, above the last an error */
    const double *tau; /* [n_z][n_nu] */
    int n_z, n_nu;
} bml_ssc_ebl;

typedef struct bml_ssc_observer {
    double redshift;        /* z > 0, or distance > 0 */
    double delta;           /* Doppler factor; 0 = 1 */
    double H0;              /* [km s^-1 Mpc^-1]; 0 = 70 */
    double omega_m;         /* flat LambdaCDM; 0 = 0.3 */
    double distance;        /* luminosity distance [cm]; 0 = from redshift, H0, omega_m */
    const bml_ssc_ebl *ebl; /* NULL = no absorption */
} bml_ssc_observer;

/* tau at redshift z and frequency nu [Hz]. Errors: BAD_ARGUMENT (no table), OUTSIDE_TABLE, PARAMETER (not growing, tau < 0). */
BML_SSC_DEF int bml_ssc_ebl_depth(double *tau, const bml_ssc_ebl *ebl, double z, double nu);

/* Luminosity distance [cm] in flat LambdaCDM; z > 0, H0 [km s^-1 Mpc^-1], 0 < omega_m <= 1. NaN outside. */
BML_SSC_DEF double bml_ssc_luminosity_distance(double z, double H0, double omega_m);

/* nu F_nu [erg cm^-2 s^-1] at the observer's frequencies. nuFnu [n] out; nu [n] in [Hz].
   Thread safe on a blob at rest. Errors: BAD_ARGUMENT, PARAMETER, OUTSIDE_TABLE. */
BML_SSC_DEF int bml_ssc_sed(double *nuFnu, const double *nu, int n, const bml_ssc_blob *blob,
                            const bml_ssc_observer *observer, bml_ssc_component component);

/* Energy since bml_ssc_begin, as energy density times sigma_T R/(m_e c^2), R at t = 0. What was injected is the sum of
   the others, but for the discretisation: residual is the part of it that is missing. */
typedef struct bml_ssc_balance {
    double injected;
    double electrons, photons;                 /* still stored */
    double escaped_electrons, escaped_photons; /* gone */
    double cooled;                             /* through gamma = 1, and absorbed photons too soft to make pairs */
    double expansion;                          /* work done by expanding */
    double residual;                           /* relative; 0 is perfect */
} bml_ssc_balance;
/* Thread safe on a blob at rest. Errors: BAD_ARGUMENT, also for a blob that has not begun. */
BML_SSC_DEF int bml_ssc_energy(bml_ssc_balance *out, const bml_ssc_blob *blob);

/* Numbers that papers quote. */
typedef struct bml_ssc_derived {
    double U_e, U_B, U_rad; /* energy densities in the blob [erg cm^-3]; U_e counts gamma m_e c^2 */
    double L_injected;      /* injected power, blob frame [erg s^-1] */
    double P_jet;           /* 2 pi R^2 delta^2 c (U_e + U_B + U_rad): two-sided, Gamma = delta [erg s^-1] */
    double nu_synchrotron, L_synchrotron; /* peak of the synchrotron component: [Hz] and nu L_nu [erg s^-1], observed */
    double nu_compton, L_compton;         /* peak of all scattered photons, likewise; 0 if there are none */
    double compton_dominance;             /* L_compton/L_synchrotron */
} bml_ssc_derived;
/* Thread safe on a blob at rest. Errors: BAD_ARGUMENT, PARAMETER (the observer). */
BML_SSC_DEF int bml_ssc_derive(bml_ssc_derived *out, const bml_ssc_blob *blob, const bml_ssc_observer *observer);

/* ---- API: data ---------------------------------------------------------------------------------------------------- */

typedef struct bml_ssc_point {
    double nu;                 /* [Hz], observer */
    double nuFnu;              /* [erg cm^-2 s^-1]; of an upper limit: the limit */
    double sigma_lo, sigma_hi; /* detection: one-sigma errors down and up [dex]; upper limit: sigma_hi is the Gaussian
                                   sigma of the limit [erg cm^-2 s^-1], 0 = nuFnu/1.645 (95 %) */
    int upper_limit;
} bml_ssc_point;

/* Set the errors of a detection from linear one-sigma errors [erg cm^-2 s^-1]: log10((F+e)/F) up, log10(F/(F-e)) down,
   or e/(F ln 10) down where e >= F. */
BML_SSC_DEF void bml_ssc_point_errors(bml_ssc_point *point, double err_lo, double err_hi);

/* ln of the likelihood of a SED. Detections: a Gaussian in log10 nuFnu, normalised, sigma^2 = sigma_side^2 + exp(2 ln_f),
   sigma_hi where the model is above the point and sigma_lo where below (each side with its own norm, so that
   the value jumps at the point by the ratio of the errors); ln_f is the logarithm of a systematic scatter
   [dex], -HUGE_VAL for none. Upper limits: ln Phi((F_ul - F_model)/sigma), in flux. A model of zero flux at a detection
   gives -HUGE_VAL; ln_f is not added to limits.
   *ln_l out (NaN on error); model [n] = nuFnu at the points' frequencies; points [n]. Errors: BAD_ARGUMENT, POINT, PARAMETER (NaN model). */
BML_SSC_DEF int bml_ssc_log_likelihood(double *ln_l, const double *model, const bml_ssc_point *points, int n,
                                       double ln_f);

/* ---- API: many sources -------------------------------------------------------------------------------------------- */

typedef struct bml_ssc_batch_job {
    double *out;                       /* [n_sources][n]: nuFnu at nu, or log10(x^2 n) at log10_x without observers */
    int *status;                       /* [n_sources]: one status each; may be NULL */
    const bml_ssc_source *sources;     /* [n_sources] */
    const bml_ssc_observer *observers; /* [n_sources], or NULL */
    const double *grid;                /* [n]: nu [Hz] with observers, log10 x without */
    int n_sources, n;
    bml_ssc_component component;
    int threads; /* 0 = all that OpenMP offers */
} bml_ssc_batch_job;

/* Solve many sources, threads over sources. Rows of sources that fail are filled with NaN. Returns BML_SSC_OK, or the
   status of the first source that failed. Errors: BAD_ARGUMENT, NO_MEMORY, and those of a source. */
BML_SSC_DEF int bml_ssc_batch(const bml_ssc_batch_job *job, const bml_ssc *tables);

#ifdef __cplusplus
}
#endif

/* ---- end of API --------------------------------------------------------------------------------------------------- */
#endif /* BML_SSC_H */

#ifdef BML_SSC_IMPLEMENTATION
#ifndef BML_SSC_IMPLEMENTED
#define BML_SSC_IMPLEMENTED

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#if defined(BML_SSC_MALLOC) != defined(BML_SSC_FREE)
#error "define BML_SSC_MALLOC and BML_SSC_FREE both, or none"
#endif
#ifndef BML_SSC_MALLOC
#include <stdlib.h>
#define BML_SSC_MALLOC(n) malloc(n)
#define BML_SSC_FREE(p) free(p)
#endif
#if defined(__GNUC__) || defined(__clang__)
#define BML_SSC_RESTRICT __restrict__
#else
#define BML_SSC_RESTRICT
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

/* Index conventions, everywhere below. h: electron spacing (natural log); r: photon spacing in units of h (1, or 2 on
   the ATHENA grid).   gamma_i = exp(lg0 + h i), i < ng;   x_k = exp(lx0 + r h k), k < nx, so that
       E = x_k/gamma_i    = exp(h (r k - i + e0 + a phi))       a = 1 on the ATHENA grid, 0 on the converged one
       G = 4 gamma_i x_j  = exp(h (i + r j + g0 + phi + c))     c constant, phi in [0, 1) differs from source to source
   and every kernel is a table of small integers, made for a few phi and interpolated once per source. */

#define BML_SSC__E_SPLIT 1e-3 /* below this E the Thomson limit of f(q, G) is right to 2 E, at all G */
#define BML_SSC__G_HIGH 1e5   /* beyond this G, f is constant (or grows like ln G within E = 0.9 ... 1) */
#define BML_SSC__FINE 32      /* sub-steps of h in the one-dimensional tables */
#define BML_SSC__LOG_X_LOW \
    (-24.0) /* lowest photon energy of any grid: 0.1 b of the weakest field, or an external one */
#define BML_SSC__LOG_GAMMA_HIGH 10.0

typedef struct bml_ssc__line { /* a function of ln y, tabulated at steps of h/FINE from ln y = lo on */
    double *value;             /* [n] */
    double lo;
    int n;
} bml_ssc__line;

struct bml_ssc {
    bml_ssc_grid grid;
    double h, time_step;
    int r;
    double c;          /* see the index conventions */
    int n_phi;         /* tables of f at phi = 0, 1/n_phi, ..., 1 */
    int rows, row_pad; /* E rows m = 0 ... rows-1 (all parities); padded count per parity */
    int cols, g_lo;    /* G columns g = g_lo ... g_lo+cols-1, per parity cols/r */
    int span[40]
            [2]; /* by block of 8 rows, in columns of one parity: f = 0 below the first, constant from the second on */
    double *f;   /* [n_phi+1][r: parity of the row][cols][row_pad] */
    bml_ssc__line syn, syn1; /* S(y) averaged over an electron cell, and weighted with its position; y = x/x_c */
    bml_ssc__line syn0;      /* S(y) itself, for self-absorption */
    bml_ssc__line loss;      /* G of (8): int f E dE as a function of G, in logs */
    bml_ssc__line gg;        /* angle-averaged pair cross section as a function of x x' */
    int max_ng, max_nx;
};

/* Three points in time of one quantity, for the two-step formula BDF2. */
typedef struct bml_ssc__ledger {
    double now, last, before;
} bml_ssc__ledger;

enum { BML_SSC__INJECTED, BML_SSC__ESC_E, BML_SSC__ESC_X, BML_SSC__COOLED, BML_SSC__WORK, BML_SSC__LEDGERS };
enum { BML_SSC__SYN, BML_SSC__SSC, BML_SSC__EXT, BML_SSC__COMPONENTS };

struct bml_ssc_blob {
    const bml_ssc *tab;
    bml_ssc_source src; /* defaults resolved */
    char message[BML_SSC_MESSAGE];
    int started;
    double t, dt_last; /* dt_last = 0: no step yet */
    double tolerance;  /* of a step's fixed point, relative, in the loss rates */
    double ln_R[2];    /* ln(R/R0) one and two steps ago */

    int ng, nx, e0, g0;
    double lg0, lx0, phi, b, l_B;
    bml_ssc__ledger ledger[BML_SSC__LEDGERS];

    /* electrons [max_ng]; M is the number N dgamma in a cell */
    double *gamma, *width, *Q, *M, *M1, *M2, *S, *base, *gdot, *old, *flux, *slope, *work;
    /* photons [max_nx] */
    double *x, *n, *n1; /* total density at the end of the step, and one step before */
    double *comp[BML_SSC__COMPONENTS], *comp1[BML_SSC__COMPONENTS], *comp2[BML_SSC__COMPONENTS];
    double *n_ext, *target, *emit, *kappa, *suffix;
    /* per-source kernels */
    double *f, *rows;                 /* [r][cols/r][row_pad]; scratch [row_pad] */
    double *syn, *syn1, *syn0, *norm; /* [r][.] by parity of the index; norm [max_ng] */
    double *thomson;                  /* f of the Thomson limit by t = s - k */
    double *loss, *gg;                /* by i + r j; by j + k */
    double *moment;                   /* sum over i of w_i n_j at s = j + (2/r) i */
    int syn_len, syn_lo, thomson_lo, n_lattice;
    double *memory;
};

#define BML_SSC__MIN(a, b) ((a) < (b) ? (a) : (b))
#define BML_SSC__MAX(a, b) ((a) > (b) ? (a) : (b))

static int bml_ssc__floor(double v) {
    return (int)floor(v);
}

/* Sum of a b [n], in eight strands that a compiler keeps in vector registers. */
static double bml_ssc__dot(const double *BML_SSC_RESTRICT a, const double *BML_SSC_RESTRICT b, int n) {
    double s[8] = {0};
    double rest = 0;
    int j;
    for (j = 0; j + 8 <= n; j += 8)
        for (int m = 0; m < 8; m++)
            s[m] += a[j + m] * b[j + m];
    for (; j < n; j++)
        rest += a[j] * b[j];
    return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7])) + rest;
}

/* Bump allocator over one block: pass base = NULL to count. */
static double *bml_ssc__take(double *base, size_t *used, size_t n) {
    double *p = base ? base + *used : NULL;
    *used += (n + 7u) & ~(size_t)7u;
    return p;
}

BML_SSC_DEF const char *bml_ssc_strerror(int status) {
    switch (status) {
#define BML_SSC_X(name, value, text) \
    case value: return text;
        BML_SSC_STATUS_TABLE(BML_SSC_X)
#undef BML_SSC_X
    default: return "unknown status";
    }
}

/* >> kernels: the functions of the physics section, one by one -------------------------------------------------------
   Written for clarity; they only fill tables. */

/* int_0^inf exp(-y cosh t) cosh(nu t) / cosh(t)^power dt: K_nu(y) for power 0; the trapezoid rule converges
   exponentially, since the integrand decays doubly exponentially. */
static double bml_ssc__bessel(double nu, double y, int power) {
    const double step = 0.1;
    double sum = 0;
    for (int i = 0; i < 2000; i++) {
        double t = step * i;
        double ch = cosh(t);
        double a = y * ch;
        if (a > 740) break;
        sum += (i ? 1.0 : 0.5) * exp(-a) * cosh(nu * t) / (power ? ch : 1.0);
    }
    return sum * step;
}

/* S(y) of (6), not normalised. */
static double bml_ssc__synchrotron(double y, bml_ssc_pitch pitch) {
    if (pitch == BML_SSC_PITCH_90) return y * bml_ssc__bessel(5.0 / 3.0, y, 1);
    double k13 = bml_ssc__bessel(1.0 / 3.0, 0.5 * y, 0);
    double k43 = bml_ssc__bessel(4.0 / 3.0, 0.5 * y, 0);
    return 0.25 * y * y * (k43 * k13 - 0.3 * y * (k43 * k43 - k13 * k13));
}

/* f(q, G) of (7). */
static double bml_ssc__jones(double q, double G) {
    if (!(q > 0 && q < 1)) return 0;
    return 2 * q * log(q) + (1 + 2 * q) * (1 - q) + (1 - q) * (G * q) * (G * q) / (2 * (1 + G * q));
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
        for (int i = 0; i < 4; i++)
            for (int side = -1; side <= 1; side += 2) {
                double q = exp(mid + side * half * bml_ssc__gauss_x[i]);
                double E = G * q / (1 + G * q);
                sum += half * bml_ssc__gauss_w[i] * bml_ssc__jones(q, G) * E * E / (1 + G * q);
            }
    }
    return sum;
}

/* f at (E, G): a point value, or its average over a cell of width h around E that keeps the energy. */
static double bml_ssc__jones_cell(double E, double G, double h, int average) {
    double lo = E * exp(-0.5 * h);
    double hi = E * exp(0.5 * h);
    double top = G / (1 + G);
    if (!average) return E < 1 ? bml_ssc__jones(E / (G * (1 - E)), G) : 0;
    if (lo >= top) return 0;
    lo = log(lo / (G * (1 - lo)));
    hi = hi >= top ? 0 : log(hi / (G * (1 - hi)));
    return bml_ssc__jones_energy(lo, hi, G) / (E * E * h);
}

/* The same in the Thomson limit, where E = G q and the average is a closed form. */
static double bml_ssc__thomson_integral(double q) { /* int_0^q q f dq */
    if (q <= 0) return 0;
    if (q > 1) q = 1;
    return q * q * (0.5 + q * (2 * log(q) / 3 + 1.0 / 9.0 - 0.5 * q));
}
static double bml_ssc__thomson_cell(double q, double hx, int average) {
    if (!average) return bml_ssc__jones(q, 0);
    return (bml_ssc__thomson_integral(q * exp(0.5 * hx)) - bml_ssc__thomson_integral(q * exp(-0.5 * hx))) /
           (q * q * hx);
}

/* int f E dE over all E at G (8); G^2/9 in the Thomson limit. */
static double bml_ssc__loss_integral(double G) {
    if (G < 1e-5) return G * G / 9 * (1 - 1.575 * G); /* Blumenthal & Gould 1970: 1 - 63/40 G */
    return bml_ssc__jones_energy(-12 - 2 * log(1 + G), 0, G);
}

/* Pair cross section times (1 - mu), averaged over angles, in units of sigma_T; w = x x' (10). */
static double bml_ssc__pair_rate(double w) {
    double sum = 0;
    double u_max = w > 1 ? log(w) : 0;
    int n = 64 * (1 + (int)u_max / 4);
    if (w <= 1) return 0;
    for (int i = 0; i < n; i++) { /* s = x x' (1 - mu)/2 from 1 to w; midpoints in ln s */
        double s = exp(u_max * (i + 0.5) / n);
        double b2 = 1 - 1 / s;
        double beta = sqrt(b2); /* (1+b)/(1-b) = (1+b)^2 s */
        double sigma = 0.1875 / s * ((3 - b2 * b2) * log((1 + beta) * (1 + beta) * s) - 2 * beta * (2 - b2));
        sum += s * s * sigma * u_max / n;
    }
    return 2 * sum / (w * w); /* (1/2) int (1 - mu) sigma dmu = (2/w^2) int s sigma ds */
}

/* >> tables ----------------------------------------------------------------------------------------------------------
   Everything that does not depend on the source. */

static double bml_ssc__at(const bml_ssc__line *line, double ln_y, double h) { /* linear; 0 outside */
    double u = (ln_y - line->lo) * BML_SSC__FINE / h;
    int i = bml_ssc__floor(u);
    if (!(u >= 0) || i >= line->n - 1) return 0;
    return line->value[i] + (u - i) * (line->value[i + 1] - line->value[i]);
}

/* Lines: their ranges in ln y cover every source that bml_ssc_begin admits. */
static void bml_ssc__line_shape(bml_ssc__line *line, double lo, double hi, double h) {
    line->lo = lo;
    line->n = (int)((hi - lo) * BML_SSC__FINE / h) + 3;
}

/* S on the fine lattice, normalised to int S dy = 1; below y = 1e-5 it is y^(1/3), right to 1e-3. */
static void bml_ssc__fill_synchrotron(bml_ssc *tab, bml_ssc_pitch pitch) {
    bml_ssc__line *s0 = &tab->syn0;
    double step = tab->h / BML_SSC__FINE;
    double sum = 0;
    double low = log(1e-5);
    double s_low = bml_ssc__synchrotron(1e-5, pitch);
    int half = BML_SSC__FINE; /* an electron cell of width h is 2 h wide in ln y */
    for (int i = 0; i < s0->n; i++) {
        double ln_y = s0->lo + i * step;
        s0->value[i] = ln_y < low ? s_low * exp((ln_y - low) / 3) : bml_ssc__synchrotron(exp(ln_y), pitch);
        sum += s0->value[i] * exp(ln_y) * step;
    }
    for (int i = 0; i < s0->n; i++)
        s0->value[i] /= sum;
    for (int i = 0; i < s0->n; i++) { /* position in the cell u in [-1/2, 1/2]: y shifts by -2 h u; Simpson's rule */
        double mean = 0;
        double first = 0;
        for (int j = -half; j <= half; j++) {
            double w = (j == -half || j == half ? 1.0 : (j + half) % 2 ? 4.0 : 2.0) / (6.0 * half);
            double value = s0->value[BML_SSC__MIN(BML_SSC__MAX(i + j, 0), s0->n - 1)];
            mean += w * value;
            first -= w * value * j / (2.0 * half);
        }
        tab->syn.value[i] = tab->grid == BML_SSC_ATHENA ? s0->value[i] : mean;
        tab->syn1.value[i] = tab->grid == BML_SSC_ATHENA ? 0 : first;
    }
}

static void bml_ssc__fill_f(bml_ssc *tab) {
    double h = tab->h;
    int average = tab->grid == BML_SSC_CONVERGED;
    for (int ip = 0; ip <= tab->n_phi; ip++) {
        double phi = (double)ip / tab->n_phi;
        double phi_E = average ? 0 : phi;
        for (int sel = 0; sel < tab->r; sel++)
            for (int col = 0; col < tab->cols; col++) {
                size_t at = ((size_t)ip * (size_t)tab->r + (size_t)sel) * (size_t)tab->cols + (size_t)col;
                double *f = tab->f + at * (size_t)tab->row_pad;
                double G = exp(h * (tab->g_lo + col + phi + tab->c));
                for (int m = 0; m < tab->row_pad; m++) {
                    int row = m * tab->r + sel;
                    f[m] = row < tab->rows ? bml_ssc__jones_cell(exp(h * (phi_E - row)), G, h, average) : 0;
                }
            }
    }
}

/* Where f of a block of eight rows is neither 0 nor, to 1e-3, what it is at the last column; over all phi. */
static void bml_ssc__fill_span(bml_ssc *tab) {
    size_t n = (size_t)(tab->n_phi + 1) * (size_t)tab->r;
    for (int block = 0; block < tab->row_pad / 8; block++) {
        int lo = tab->cols;
        int hi = 0;
        for (size_t plane = 0; plane < n; plane++)
            for (size_t m = 8 * (size_t)block; m < 8 * (size_t)block + 8; m++) {
                const double *f = tab->f + plane * (size_t)tab->cols * (size_t)tab->row_pad + m;
                double last = f[(tab->cols - 1) * tab->row_pad];
                for (int col = 0; col < tab->cols; col++) {
                    double v = f[col * tab->row_pad];
                    if (v > 0 && col < lo) lo = col;
                    if (fabs(v - last) > 1e-3 * last && col > hi) hi = col;
                }
            }
        tab->span[block][0] = BML_SSC__MAX(0, lo / tab->r - 1);
        tab->span[block][1] = BML_SSC__MIN(tab->cols / tab->r, hi / tab->r + 2);
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
static size_t bml_ssc__layout_tables(bml_ssc *tab, double *base) {
    double h = tab->h;
    double low = -2 * BML_SSC__LN10 * BML_SSC__LOG_GAMMA_HIGH;
    double ln_gamma_high = BML_SSC__LN10 * BML_SSC__LOG_GAMMA_HIGH;
    size_t used = 0;
    tab->rows = (int)(-log(BML_SSC__E_SPLIT) / h) + 1;
    tab->row_pad = ((tab->rows + tab->r - 1) / tab->r + 7) & ~7;
    tab->g_lo = bml_ssc__floor(log(BML_SSC__E_SPLIT) / h) - 2;
    tab->cols = ((int)(log(BML_SSC__G_HIGH) / h) - tab->g_lo) & ~1;
    tab->max_ng = (int)(ln_gamma_high / h) + 4;
    tab->max_nx = (int)((ln_gamma_high - BML_SSC__LN10 * BML_SSC__LOG_X_LOW) / (tab->r * h)) + 6;
    bml_ssc__line_shape(&tab->syn0, low - 8, log(1000.0), h);
    bml_ssc__line_shape(&tab->syn, low - 8, log(1000.0), h);
    bml_ssc__line_shape(&tab->syn1, low - 8, log(1000.0), h);
    bml_ssc__line_shape(&tab->loss, log(1e-5), 2 * ln_gamma_high + 2, h);
    bml_ssc__line_shape(&tab->gg, 0, 2 * ln_gamma_high + 1, h);
    tab->f = bml_ssc__take(base, &used,
                           (size_t)(tab->n_phi + 1) * (size_t)tab->r * (size_t)tab->cols * (size_t)tab->row_pad);
    tab->syn.value = bml_ssc__take(base, &used, (size_t)tab->syn.n);
    tab->syn1.value = bml_ssc__take(base, &used, (size_t)tab->syn1.n);
    tab->syn0.value = bml_ssc__take(base, &used, (size_t)tab->syn0.n);
    tab->loss.value = bml_ssc__take(base, &used, (size_t)tab->loss.n);
    tab->gg.value = bml_ssc__take(base, &used, (size_t)tab->gg.n);
    return used;
}

static int bml_ssc__create(bml_ssc **out, const bml_ssc_config *config) {
    bml_ssc_config cfg;
    memset(&cfg, 0, sizeof cfg);
    if (config) cfg = *config;
    if (cfg.grid != BML_SSC_CONVERGED && cfg.grid != BML_SSC_ATHENA) return BML_SSC_CONFIG;
    if (cfg.pitch != BML_SSC_PITCH_AVERAGED && cfg.pitch != BML_SSC_PITCH_90) return BML_SSC_CONFIG;
    if (cfg.spacing == 0) cfg.spacing = 0.1;
    if (cfg.time_step == 0) cfg.time_step = 5.0 / 12;
    if (!(cfg.spacing >= 0.01 && cfg.spacing <= 0.25) || !(cfg.time_step >= 1e-3 && cfg.time_step <= 1))
        return BML_SSC_CONFIG;
    if (cfg.grid == BML_SSC_ATHENA && cfg.spacing != 0.1) return BML_SSC_CONFIG;

    bml_ssc *tab;
    tab = (bml_ssc *)BML_SSC_MALLOC(sizeof *tab);
    if (!tab) return BML_SSC_NO_MEMORY;
    memset(tab, 0, sizeof *tab);
    tab->grid = cfg.grid;
    tab->h = cfg.spacing * BML_SSC__LN10;
    tab->time_step = cfg.time_step;
    tab->r = cfg.grid == BML_SSC_ATHENA ? 2 : 1;
    tab->n_phi = cfg.grid == BML_SSC_ATHENA ? 32 : 8;
    /* ATHENA: lg0 = -h and lx0 = ln b + 2 h, so ln 4 alone shifts G against E (see the index conventions) */
    tab->c = cfg.grid == BML_SSC_ATHENA ? BML_SSC__LN4 / tab->h - floor(BML_SSC__LN4 / tab->h) : 0;
    size_t size = bml_ssc__layout_tables(tab, NULL);
    double *block;
    block = (double *)BML_SSC_MALLOC(size * sizeof *block);
    if (!block) {
        BML_SSC_FREE(tab);
        return BML_SSC_NO_MEMORY;
    }
    bml_ssc__layout_tables(tab, block);
    bml_ssc__fill_synchrotron(tab, cfg.grid == BML_SSC_ATHENA ? BML_SSC_PITCH_90 : cfg.pitch);
    bml_ssc__fill_f(tab);
    bml_ssc__fill_span(tab);
    bml_ssc__fill_lines(tab);
    *out = tab;
    return BML_SSC_OK;
}

/* The reason of a failed create; "" without one. */
static int bml_ssc__say(char *why, int status) {
    if (why) snprintf(why, BML_SSC_MESSAGE, "%s", status ? bml_ssc_strerror(status) : "");
    return status;
}

BML_SSC_DEF int bml_ssc_create(bml_ssc **out, const bml_ssc_config *config, char *why) {
    if (!out) return bml_ssc__say(why, BML_SSC_BAD_ARGUMENT);
    *out = NULL;
    return bml_ssc__say(why, bml_ssc__create(out, config));
}

BML_SSC_DEF void bml_ssc_free(bml_ssc *tables) {
    if (!tables) return;
    BML_SSC_FREE(tables->f); /* the block starts with f */
    BML_SSC_FREE(tables);
}

/* Cut a blob's memory up; base = NULL counts. */
static size_t bml_ssc__layout_blob(bml_ssc_blob *blob, double *base) {
    const bml_ssc *tab = blob->tab;
    size_t ng = (size_t)tab->max_ng;
    size_t nx = (size_t)tab->max_nx;
    size_t used = 0;
    size_t lattice = 2 * ng + 2 * nx + 8;
    double **electrons[] = {&blob->gamma, &blob->width, &blob->Q,    &blob->M,    &blob->M1,
                            &blob->M2,    &blob->S,     &blob->base, &blob->gdot, &blob->old,
                            &blob->flux,  &blob->slope, &blob->work, &blob->norm};
    double **photons[] = {&blob->x,        &blob->n,        &blob->n1,       &blob->comp[0],  &blob->comp[1],
                          &blob->comp[2],  &blob->comp1[0], &blob->comp1[1], &blob->comp1[2], &blob->comp2[0],
                          &blob->comp2[1], &blob->comp2[2], &blob->n_ext,    &blob->target,   &blob->emit,
                          &blob->kappa,    &blob->suffix};
    double **lattices[] = {&blob->syn, &blob->syn1, &blob->syn0, &blob->thomson, &blob->loss, &blob->gg, &blob->moment};
    for (size_t i = 0; i < sizeof electrons / sizeof *electrons; i++)
        *electrons[i] = bml_ssc__take(base, &used, ng);
    for (size_t i = 0; i < sizeof photons / sizeof *photons; i++)
        *photons[i] = bml_ssc__take(base, &used, nx);
    for (size_t i = 0; i < sizeof lattices / sizeof *lattices; i++)
        *lattices[i] = bml_ssc__take(base, &used, lattice);
    blob->f = bml_ssc__take(base, &used, (size_t)tab->cols * (size_t)tab->row_pad);
    blob->rows = bml_ssc__take(base, &used, (size_t)tab->row_pad);
    return used;
}

BML_SSC_DEF int bml_ssc_blob_create(bml_ssc_blob **out, const bml_ssc *tables, char *why) {
    if (!out) return bml_ssc__say(why, BML_SSC_BAD_ARGUMENT);
    *out = NULL;
    if (!tables) return bml_ssc__say(why, BML_SSC_BAD_ARGUMENT);
    bml_ssc_blob *blob;
    blob = (bml_ssc_blob *)BML_SSC_MALLOC(sizeof *blob);
    if (!blob) return bml_ssc__say(why, BML_SSC_NO_MEMORY);
    memset(blob, 0, sizeof *blob);
    blob->tab = tables;
    size_t size = bml_ssc__layout_blob(blob, NULL);
    blob->memory = (double *)BML_SSC_MALLOC(size * sizeof *blob->memory);
    if (!blob->memory) {
        BML_SSC_FREE(blob);
        return bml_ssc__say(why, BML_SSC_NO_MEMORY);
    }
    memset(blob->memory, 0, size * sizeof *blob->memory);
    bml_ssc__layout_blob(blob, blob->memory);
    *out = blob;
    return bml_ssc__say(why, BML_SSC_OK);
}

BML_SSC_DEF void bml_ssc_blob_free(bml_ssc_blob *blob) {
    if (!blob) return;
    BML_SSC_FREE(blob->memory);
    BML_SSC_FREE(blob);
}

BML_SSC_DEF const char *bml_ssc_message(const bml_ssc_blob *blob) {
    return blob ? blob->message : "";
}

/* >> source ----------------------------------------------------------------------------------------------------------
   Defaults and checks in one place, then the grids and the kernels of this source. */

static int bml_ssc__refuse(bml_ssc_blob *blob, int status, const char *what, double value) {
    snprintf(blob->message, sizeof blob->message, "%s = %g: %s", what, value, bml_ssc_strerror(status));
    return status;
}

typedef struct bml_ssc__rule { /* a member, its default and its range */
    const char *name;
    double *value;
    double otherwise, lo, hi;
} bml_ssc__rule;

static int bml_ssc__resolve(bml_ssc_blob *blob, const bml_ssc_source *source) {
    bml_ssc_source *s = &blob->src;
    const bml_ssc__rule rules[] = {
        {"R", &s->R, 1e16, 1e8, 1e22},
        {"B", &s->B, 0.1, 1e-8, 1e6},
        {"gamma_min", &s->gamma_min, 100, 1, 1e10},
        {"gamma_max", &s->gamma_max, 1e6, 1, 1e10},
        {"compactness", &s->compactness, 1e-4, 1e-20, 1e3},
        {"p", &s->p, 2, -10, 10},
        {"t_end", &s->t_end, 5, 0, 1e6},
        {"electron_escape", &s->electron_escape, 1, 1e-3, 1e6},
        {"expansion_speed", &s->expansion_speed, 0, 0, 1},
        {"field_index", &s->field_index, 0, -10, 10},
        {"gamma_break", &s->gamma_break, 1e4, 1e-3, 1e12},
        {"p2", &s->p2, 3, -10, 10},
        {"curvature", &s->curvature, 0, -10, 10},
    };
    *s = *source;
    if (s->L_e != 0) {
        double R = s->R == 0 ? 1e16 : s->R;
        if (s->compactness != 0 || !(s->L_e > 0)) return bml_ssc__refuse(blob, BML_SSC_PARAMETER, "L_e", s->L_e);
        s->compactness = BML_SSC__SIGMA_T * s->L_e / (4 * BML_SSC__PI * R * BML_SSC__MC2 * BML_SSC__C);
    }
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (*rules[i].value == 0) *rules[i].value = rules[i].otherwise;
        if (!(*rules[i].value >= rules[i].lo && *rules[i].value <= rules[i].hi))
            return bml_ssc__refuse(blob, BML_SSC_PARAMETER, rules[i].name, *rules[i].value);
    }
    if (!(s->gamma_max > s->gamma_min)) return bml_ssc__refuse(blob, BML_SSC_ORDER, "gamma_max", s->gamma_max);
    if ((int)s->injection < 0 || s->injection > BML_SSC_TABLE)
        return bml_ssc__refuse(blob, BML_SSC_PARAMETER, "injection", (double)s->injection);
    if ((int)s->self_absorption < 0 || s->self_absorption > BML_SSC_SSA_HEATING)
        return bml_ssc__refuse(blob, BML_SSC_PARAMETER, "self_absorption", (double)s->self_absorption);
    if (s->n_external < 0 || (s->n_external > 0 && !s->external))
        return bml_ssc__refuse(blob, BML_SSC_BAD_ARGUMENT, "n_external", s->n_external);
    return BML_SSC_OK;
}

/* Log-log interpolation in a table, 0 outside. */
static double bml_ssc__table(double y, const double *at, const double *value, int n) {
    int lo = 0;
    int hi = n - 1;
    if (!(y >= at[0] && y <= at[n - 1])) return 0;
    while (hi - lo > 1) {
        int mid = (lo + hi) / 2;
        if (at[mid] <= y)
            lo = mid;
        else
            hi = mid;
    }
    if (!(value[lo] > 0 && value[hi] > 0)) return 0;
    return value[lo] * exp(log(value[hi] / value[lo]) * log(y / at[lo]) / log(at[hi] / at[lo]));
}

static int bml_ssc__table_is_bad(const double *at, const double *value, int n) {
    if (!at || !value || n < 2) return 1;
    for (int i = 0; i < n; i++)
        if (!(at[i] > 0 && at[i] < HUGE_VAL && value[i] >= 0 && value[i] < HUGE_VAL) || (i && !(at[i] > at[i - 1])))
            return 1;
    return 0;
}

/* Shape of the injection at gamma; not normalised. */
static double bml_ssc__shape(const bml_ssc_source *s, double gamma) {
    double y = log(gamma / s->gamma_break);
    switch (s->injection) {
    case BML_SSC_BROKEN: return exp(-(y < 0 ? s->p : s->p2) * y);
    case BML_SSC_LOG_PARABOLA: return exp(-(s->p + s->curvature * y / BML_SSC__LN10) * y);
    case BML_SSC_CUTOFF: return exp(-s->p * y - gamma / s->gamma_break);
    case BML_SSC_TABLE: return bml_ssc__table(gamma, s->table_gamma, s->table_q, s->n_table);
    case BML_SSC_POWER_LAW:
    default: return exp(-s->p * log(gamma / s->gamma_min));
    }
}

/* Energy int gamma Q dgamma between two Lorentz factors: a closed form for the power law, else Gauss-Legendre. */
static double bml_ssc__injected_energy(const bml_ssc_source *s, double lo, double hi) {
    double sum = 0;
    double mid = 0.5 * log(lo * hi);
    double half = 0.5 * log(hi / lo);
    if (s->injection == BML_SSC_POWER_LAW) {
        double a = 2 - s->p;
        double y = a * 2 * half;
        double scale = bml_ssc__shape(s, lo) * lo * lo;
        return scale * 2 * half * (fabs(y) < 1e-8 ? 1 + 0.5 * y : expm1(y) / y); /* a = 0: the logarithm */
    }
    for (int i = 0; i < 4; i++)
        for (int side = -1; side <= 1; side += 2) {
            double gamma = exp(mid + side * half * bml_ssc__gauss_x[i]);
            sum += half * bml_ssc__gauss_w[i] * gamma * gamma * bml_ssc__shape(s, gamma);
        }
    return sum;
}

/* Fill Q [ng], the number injected per cell and R/c. Converged grid: the energy of each cell is exact. ATHENA: whole
   nodes inside the limits with the norm of the true limits. */
static int bml_ssc__inject(bml_ssc_blob *blob) {
    const bml_ssc_source *s = &blob->src;
    double total = 0;
    double h = blob->tab->h;
    for (int i = 0; i < blob->ng; i++) {
        double lo = BML_SSC__MAX(blob->gamma[i] * exp(-0.5 * h), s->gamma_min);
        double hi = i + 1 < blob->ng ? BML_SSC__MIN(blob->gamma[i] * exp(0.5 * h), s->gamma_max) : s->gamma_max;
        double energy = hi > lo ? bml_ssc__injected_energy(s, lo, hi) : 0;
        total += energy;
        if (blob->tab->grid == BML_SSC_ATHENA) {
            double log_g = log10(blob->gamma[i]);
            int inside = log_g >= log10(s->gamma_min) - 1e-9 && log_g <= log10(s->gamma_max) + 1e-9;
            blob->Q[i] = inside ? bml_ssc__shape(s, blob->gamma[i]) * blob->width[i] : 0;
        } else {
            blob->Q[i] = energy / blob->gamma[i];
        }
    }
    if (!(total > 0 && total < HUGE_VAL)) return bml_ssc__refuse(blob, BML_SSC_SPECTRUM, "injected energy", total);
    for (int i = 0; i < blob->ng; i++)
        blob->Q[i] *= 3 * s->compactness / total; /* (3) */
    return BML_SSC_OK;
}

/* Shape of an external photon density n(x). */
static double bml_ssc__field(const bml_ssc_external *e, double x) {
    if (e->kind == BML_SSC_FIELD_TABLE) return bml_ssc__table(x, e->table_x, e->table_n, e->n_table);
    if (e->kind == BML_SSC_FIELD_POWER_LAW)
        return x >= e->x_min && x <= e->x_max ? exp(-e->index * log(x / e->x_min)) : 0;
    double y = x * BML_SSC__MC2 / (BML_SSC__K * e->temperature);
    return y < 700 ? x * x / expm1(y) : 0;
}

/* Range of x that matters in an external field, or an error. */
static int bml_ssc__field_range(const bml_ssc_external *e, double *lo, double *hi) {
    double u = e->energy_density;
    if (!(u >= 0 && u < 1e30)) return BML_SSC_SPECTRUM;
    if (e->kind == BML_SSC_BLACK_BODY) {
        double theta = BML_SSC__K * e->temperature / BML_SSC__MC2;
        if (!(e->temperature > 0 && e->temperature < 1e12)) return BML_SSC_SPECTRUM;
        *lo = 1e-3 * theta;
        *hi = 40 * theta;
        return BML_SSC_OK;
    }
    if (!(u > 0)) return BML_SSC_SPECTRUM;
    if (e->kind == BML_SSC_FIELD_POWER_LAW) {
        if (!(e->x_min > 0 && e->x_max > e->x_min && e->x_max < 1e10 && fabs(e->index) <= 10)) return BML_SSC_SPECTRUM;
        *lo = e->x_min;
        *hi = e->x_max;
        return BML_SSC_OK;
    }
    if (e->kind != BML_SSC_FIELD_TABLE || bml_ssc__table_is_bad(e->table_x, e->table_n, e->n_table))
        return BML_SSC_SPECTRUM;
    *lo = e->table_x[0];
    *hi = e->table_x[e->n_table - 1];
    return BML_SSC_OK;
}

/* Add the external fields to n_ext, each normalised on the grid to its energy density. */
static int bml_ssc__add_fields(bml_ssc_blob *blob) {
    int n_sub = 8;
    double hx = blob->tab->r * blob->tab->h;
    memset(blob->n_ext, 0, (size_t)blob->nx * sizeof *blob->n_ext);
    for (int f = 0; f < blob->src.n_external; f++) {
        const bml_ssc_external *e = &blob->src.external[f];
        double u = e->energy_density;
        double sum = 0;
        if (u == 0) u = BML_SSC__A_RAD * pow(e->temperature, 4);
        for (int k = 0; k < blob->nx; k++) { /* average over the cell, so that edges between nodes count in part */
            double mean = 0;
            for (int i = 0; i < n_sub; i++) {
                double x = blob->x[k] * exp(hx * ((i + 0.5) / n_sub - 0.5));
                mean += x * x * bml_ssc__field(e, x) / n_sub;
            }
            blob->emit[k] = mean / (blob->x[k] * blob->x[k]);
            sum += hx * mean;
        }
        if (!(sum > 0 && sum < HUGE_VAL)) return bml_ssc__refuse(blob, BML_SSC_SPECTRUM, "external field", f);
        u *= BML_SSC__SIGMA_T * blob->src.R / BML_SSC__MC2;
        for (int k = 0; k < blob->nx; k++)
            blob->n_ext[k] += blob->emit[k] * u / sum;
    }
    return BML_SSC_OK;
}

/* Lay the grids: anchored at gamma_max (converged) or at powers of ten and at b (ATHENA). */
static void bml_ssc__grids(bml_ssc_blob *blob, double x_lowest) {
    const bml_ssc *tab = blob->tab;
    double h = tab->h;
    double top = log(blob->src.gamma_max);
    double G0;
    if (tab->grid == BML_SSC_ATHENA) {
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
        G0 = (blob->lx0 + blob->lg0 + BML_SSC__LN4) / h;
        blob->phi = G0 - floor(G0);
    }
    G0 = (blob->lx0 + blob->lg0 + BML_SSC__LN4) / h - blob->phi - tab->c;
    blob->g0 = bml_ssc__floor(G0 + 0.5);
    for (int i = 0; i < blob->ng; i++) {
        blob->gamma[i] = exp(blob->lg0 + h * i);
        double lo = blob->gamma[i] * exp(-0.5 * h);
        double hi = blob->gamma[i] * exp(0.5 * h);
        blob->width[i] = tab->grid == BML_SSC_ATHENA ? h * blob->gamma[i] : hi - BML_SSC__MAX(lo, 1.0);
    }
    for (int i = 0; i < blob->nx; i++)
        blob->x[i] = exp(blob->lx0 + tab->r * h * i);
}

/* Synchrotron kernels on the lattice r k - 2 i: entry [parity][(index - syn_lo)/r]. They follow B, so a drive calls this
   again. norm: what makes each electron radiate (5) exactly on the ATHENA grid; 1 on the converged one. */
static void bml_ssc__kernels_synchrotron(bml_ssc_blob *blob) {
    const bml_ssc *tab = blob->tab;
    double h = tab->h;
    double y0 = blob->lx0 - 2 * blob->lg0 - log(1.5 * blob->b);
    double unit = 8 * blob->l_B / (9 * blob->b);
    int r = tab->r;
    blob->syn_lo = -2 * blob->ng - 2;
    int count = (r * blob->nx + 2 * blob->ng + 4) / r + 1;
    blob->syn_len = count;
    for (int d = 0; d < r * count; d++) {
        int at = (d % r) * count + d / r;
        double ln_y = y0 + h * (d + blob->syn_lo);
        blob->syn[at] = unit * bml_ssc__at(&tab->syn, ln_y, h);
        blob->syn1[at] = unit * bml_ssc__at(&tab->syn1, ln_y, h);
        if (blob->src.self_absorption) blob->syn0[at] = unit * bml_ssc__at(&tab->syn0, ln_y, h);
    }
    for (int i = 0; i < blob->ng; i++) {
        const double *S = blob->syn + (-2 * i - blob->syn_lo) / r;
        double power = 0;
        blob->norm[i] = 1;
        if (tab->grid != BML_SSC_ATHENA) continue;
        for (int k = 0; k < blob->nx; k++)
            power += S[k] * blob->x[k];
        power *= r * h;
        blob->norm[i] = power > 0 ? 4.0 / 3 * blob->l_B * blob->gamma[i] * blob->gamma[i] / power : 0;
    }
}

/* All other kernels of this source. */
static void bml_ssc__kernels(bml_ssc_blob *blob) {
    const bml_ssc *tab = blob->tab;
    double h = tab->h;
    double u = blob->phi * tab->n_phi;
    int r = tab->r;
    int per = tab->cols / r;
    int ip = BML_SSC__MIN((int)u, tab->n_phi - 1);
    size_t plane = (size_t)r * (size_t)tab->cols * (size_t)tab->row_pad;
    double w = u - ip;
    for (int sel = 0; sel < r; sel++)
        for (int col = 0; col < per; col++) {
            int shift = r == 1 ? 0 : ((sel + blob->e0 + blob->g0 - tab->g_lo) & 1);
            const double *f = tab->f + (size_t)ip * plane +
                              ((size_t)sel * (size_t)tab->cols + (size_t)(col * r + shift)) * (size_t)tab->row_pad;
            double *out = blob->f + ((size_t)sel * (size_t)per + (size_t)col) * (size_t)tab->row_pad;
            for (int m = 0; m < tab->row_pad; m++)
                out[m] = f[m] + w * (f[m + (int)plane] - f[m]);
        }

    /* Thomson kernel by t = s - k: ln q = h (e0 - g0 - r t) + (phi_E - phi - c) h */
    double q0 = h * (blob->e0 - blob->g0 - tab->c - (tab->grid == BML_SSC_ATHENA ? 0 : blob->phi));
    blob->thomson_lo = bml_ssc__floor(q0 / (r * h) - 0.5);
    blob->n_lattice = blob->nx + (2 / r) * blob->ng;
    int n = blob->n_lattice - blob->thomson_lo;
    n = BML_SSC__MAX(0, BML_SSC__MIN(n, blob->n_lattice + blob->nx));
    int t;
    for (t = 0; t < n; t++) {
        double q = exp(q0 - r * h * (t + blob->thomson_lo));
        if (q < 1e-7) break;
        blob->thomson[t] = bml_ssc__thomson_cell(q, r * h, tab->grid == BML_SSC_CONVERGED);
    }
    for (; t < n; t++)
        blob->thomson[t] = tab->grid == BML_SSC_CONVERGED ? sinh(r * h) / (r * h) : 1; /* q -> 0 */

    if (tab->grid == BML_SSC_CONVERGED)
        for (t = 0; t < blob->ng + blob->nx; t++) { /* (8) by i + j */
            double ln_G = h * (t + blob->g0 + blob->phi);
            blob->loss[t] =
                ln_G <= tab->loss.lo ? bml_ssc__loss_integral(exp(ln_G)) : exp(bml_ssc__at(&tab->loss, ln_G, h));
        }
    if (blob->src.pair_production)
        for (t = 0; t < 2 * blob->nx; t++)
            blob->gg[t] = bml_ssc__at(&tab->gg, 2 * blob->lx0 + r * h * t, h);
}

BML_SSC_DEF void bml_ssc_source_from_row(bml_ssc_source *source, const double *row) {
    source->R = pow(10, row[0]);
    source->B = pow(10, row[1]);
    source->gamma_min = pow(10, row[2]);
    source->gamma_max = pow(10, row[3]);
    source->compactness = pow(10, row[4]);
    source->L_e = 0;
    source->p = row[5] == 0 ? 1e-12 : row[5]; /* 0 in the member would mean the default */
}

BML_SSC_DEF double bml_ssc_gamma_confined(double R, double B) {
    return BML_SSC__E * B * R / BML_SSC__MC2;
}

/* What the source's drive, or its expansion, says of time t. */
static void bml_ssc__drive(bml_ssc_drive *now, const bml_ssc_source *s, double t) {
    now->injection = 1;
    now->R = 1 + s->expansion_speed * t;
    now->B = pow(now->R, -s->field_index);
    if (s->drive) s->drive(now, t, s->user);
}

BML_SSC_DEF int bml_ssc_begin(bml_ssc_blob *blob, const bml_ssc_source *source) {
    if (!blob || !source) return BML_SSC_BAD_ARGUMENT;
    blob->started = 0;
    blob->message[0] = 0;
    int status = bml_ssc__resolve(blob, source);
    if (status) return status;
    if (source->injection == BML_SSC_TABLE &&
        bml_ssc__table_is_bad(source->table_gamma, source->table_q, source->n_table))
        return bml_ssc__refuse(blob, BML_SSC_SPECTRUM, "n_table", source->n_table);
    blob->b = blob->src.B / (blob->tab->grid == BML_SSC_ATHENA ? 4.414e13 : BML_SSC__B_CRIT);
    blob->l_B = BML_SSC__SIGMA_T * blob->src.R * blob->src.B * blob->src.B / (8 * BML_SSC__PI * BML_SSC__MC2);
    double x_lowest = 0.1 * blob->b;
    for (int f = 0; f < blob->src.n_external; f++) {
        double lo;
        double hi;
        status = bml_ssc__field_range(&blob->src.external[f], &lo, &hi);
        if (status || hi > 0.5 * blob->src.gamma_max)
            return bml_ssc__refuse(blob, BML_SSC_SPECTRUM, "external field", f);
        x_lowest = BML_SSC__MIN(x_lowest, BML_SSC__MAX(lo, pow(10, BML_SSC__LOG_X_LOW)));
    }
    bml_ssc__grids(blob, x_lowest);
    status = bml_ssc__inject(blob);
    if (!status) status = bml_ssc__add_fields(blob);
    if (status) return status;
    bml_ssc__kernels_synchrotron(blob);
    bml_ssc__kernels(blob);
    for (int c = 0; c < BML_SSC__COMPONENTS; c++) {
        memset(blob->comp[c], 0, (size_t)blob->nx * sizeof(double));
        memset(blob->comp1[c], 0, (size_t)blob->nx * sizeof(double));
        memset(blob->comp2[c], 0, (size_t)blob->nx * sizeof(double));
    }
    memset(blob->n, 0, (size_t)blob->nx * sizeof(double));
    memset(blob->n1, 0, (size_t)blob->nx * sizeof(double));
    memset(blob->kappa, 0, (size_t)blob->nx * sizeof(double));
    memset(blob->M, 0, (size_t)blob->ng * sizeof(double));
    memset(blob->M1, 0, (size_t)blob->ng * sizeof(double));
    memset(blob->M2, 0, (size_t)blob->ng * sizeof(double));
    memset(blob->ledger, 0, sizeof blob->ledger);
    blob->t = blob->dt_last = 0;
    bml_ssc_drive drive;
    bml_ssc__drive(&drive, &blob->src, 0);
    blob->ln_R[0] = blob->ln_R[1] = drive.R > 0 ? log(drive.R) : 0;
    blob->tolerance = 1e-3;
    blob->started = 1;
    return BML_SSC_OK;
}

/* >> emission --------------------------------------------------------------------------------------------------------
   out [nx] = photons made per x and R/c by the electrons M [ng]. */

static void bml_ssc__emit_synchrotron(double *BML_SSC_RESTRICT out, const bml_ssc_blob *blob) {
    int r = blob->tab->r;
    int nx = blob->nx;
    memset(out, 0, (size_t)nx * sizeof *out);
    for (int i = 0; i < blob->ng; i++) {
        int d = -2 * i - blob->syn_lo;
        int at = (d % r) * blob->syn_len + d / r;
        const double *BML_SSC_RESTRICT S = blob->syn + at;
        const double *BML_SSC_RESTRICT S1 = blob->syn1 + at;
        double m = blob->M[i] * blob->norm[i];
        double m1 = m * blob->slope[i];
        if (!(m > 0)) continue;
        for (int k = 0; k < nx; k++)
            out[k] += m * S[k] + m1 * S1[k];
    }
    for (int k = 0; k < nx; k++)
        out[k] /= blob->x[k]; /* from power to number */
}

/* sum [8] = f [count][pad] transposed times n [count]: eight rows at a time stay in registers. */
static void bml_ssc__rows(double *BML_SSC_RESTRICT sum, const double *BML_SSC_RESTRICT f,
                          const double *BML_SSC_RESTRICT n, int pad, int count) {
    double a[8] = {0};
    double b[8] = {0};
    int col;
    for (col = 0; col + 1 < count; col += 2, f += 2 * pad) {
        const double *BML_SSC_RESTRICT next = f + pad;
        for (int m = 0; m < 8; m++)
            a[m] += n[col] * f[m];
        for (int m = 0; m < 8; m++)
            b[m] += n[col + 1] * next[m];
    }
    if (col < count)
        for (int m = 0; m < 8; m++)
            a[m] += n[col] * f[m];
    for (int m = 0; m < 8; m++)
        sum[m] = a[m] + b[m];
}

/* out [nx] = Compton emission (7) of the electrons on targets n [nx] (density). Three parts, split by E = x1/gamma:
   E >= 1e-3, G within the table: the sum over j with f from the table, all E rows of one electron at once;
   E >= 1e-3, G beyond it: f no longer depends on G, so a sum over targets is enough;
   E < 1e-3: f depends on q = E/G alone, an index of i, j only through s = j + (2/r) i, so the electrons' sum is done
   first: moment_s = sum_i w_i n_(s - (2/r) i), taking in electron after electron as x1 falls below 1e-3 gamma. */
static void bml_ssc__emit_compton(double *BML_SSC_RESTRICT out, const double *BML_SSC_RESTRICT n, bml_ssc_blob *blob) {
    const bml_ssc *tab = blob->tab;
    int r = tab->r;
    int nx = blob->nx;
    int ng = blob->ng;
    int per = tab->cols / r;
    int pad = tab->row_pad;
    double hx = r * tab->h;
    double *BML_SSC_RESTRICT sum = blob->rows;
    double *BML_SSC_RESTRICT moment = blob->moment;
    double *BML_SSC_RESTRICT weight = blob->work;
    double *BML_SSC_RESTRICT suffix = blob->suffix;

    memset(out, 0, (size_t)nx * sizeof *out);
    memset(moment, 0, (size_t)blob->n_lattice * sizeof *moment);
    suffix[nx - 1] = n[nx - 1];
    for (int j = nx - 2; j >= 0; j--)
        suffix[j] = suffix[j + 1] + n[j];
    for (int i = 0; i < ng; i++)
        weight[i] = blob->gamma[i] > 1 ? 0.75 * hx * blob->M[i] / (blob->gamma[i] * blob->gamma[i]) : 0;

    for (int i = 0; i < ng; i++) { /* E >= 1e-3: row m is at k = k0 - m, column 0 at j = j0 */
        int sel = (i - blob->e0) & (r - 1);
        int k0 = (i - blob->e0 - sel) / r;
        int shift = r == 1 ? 0 : ((sel + blob->e0 + blob->g0 - tab->g_lo) & 1);
        int j0 = (tab->g_lo + shift - i - blob->g0) / r;
        int rows = (tab->rows - sel + r - 1) / r;
        const double *F = blob->f + (size_t)sel * (size_t)per * (size_t)pad;
        if (!(weight[i] > 0)) continue;
        for (int row = 0; row < pad; row += 8) {
            const int *span = tab->span[row / 8];
            int lo = BML_SSC__MAX(span[0], -j0);
            int hi = BML_SSC__MIN(span[1], nx - j0);
            if (lo < hi)
                bml_ssc__rows(sum + row, F + lo * pad + row, n + j0 + lo, pad, hi - lo);
            else
                memset(sum + row, 0, 8 * sizeof *sum);
            if (j0 + span[1] < nx) {
                const double *f = F + (span[1] - 1) * pad + row;
                double tail = suffix[BML_SSC__MAX(0, j0 + span[1])];
                for (int m = 0; m < 8; m++)
                    sum[row + m] += tail * f[m];
            }
        }
        for (int m = BML_SSC__MAX(0, k0 - nx + 1); m < BML_SSC__MIN(rows, k0 + 1); m++)
            out[k0 - m] += weight[i] * sum[m];
    }

    int next = ng; /* E < 1e-3: electrons next ... ng-1 are in the moments */
    for (int k = nx - 1; k >= 0; k--) {
        int first = BML_SSC__MAX(0, r * k + blob->e0 + tab->rows);
        for (; next > first; next--) {
            double *BML_SSC_RESTRICT to = moment + (2 / r) * (next - 1);
            double w = weight[next - 1];
            if (w > 0)
                for (int j = 0; j < nx; j++)
                    to[j] += w * n[j];
        }
        if (next >= ng) continue;
        int s_lo = BML_SSC__MAX((2 / r) * next, k + blob->thomson_lo);
        int s_hi = nx + (2 / r) * (ng - 1);
        out[k] += bml_ssc__dot(moment + s_lo, blob->thomson + (s_lo - k - blob->thomson_lo), s_hi - s_lo);
    }
}

/* >> electrons -------------------------------------------------------------------------------------------------------
   One implicit step: lambda M - (flux in - flux out) = S, with S [ng] the number injected plus the history of BDF2. */

/* Compton loss rate (8) at each node, for targets n [nx]. Converged: the full integral. ATHENA: (4/3) gamma^2 int x n dx
   by the trapezoid rule in ln x up to the last node below 3/(4 gamma). */
static void bml_ssc__add_compton_loss(double *BML_SSC_RESTRICT gdot, const double *BML_SSC_RESTRICT n,
                                      const bml_ssc_blob *blob) {
    int nx = blob->nx;
    int ng = blob->ng;
    int last = -1;
    double hx = blob->tab->r * blob->tab->h;
    double full = 0;
    if (blob->tab->grid == BML_SSC_CONVERGED) {
        for (int i = 0; i < ng; i++)
            gdot[i] += 0.75 * hx * bml_ssc__dot(n, blob->loss + i, nx);
        return;
    }
    for (int i = ng - 1; i >= 0; i--) { /* the cut moves up as gamma falls */
        while (last + 1 < nx && blob->x[last + 1] < 0.75 / blob->gamma[i]) {
            last++;
            full += blob->x[last] * blob->x[last] * n[last];
        }
        if (last < 1) continue;
        double end = blob->x[0] * blob->x[0] * n[0] + blob->x[last] * blob->x[last] * n[last];
        gdot[i] += 4.0 / 3 * blob->gamma[i] * blob->gamma[i] * hx * (full - 0.5 * end);
    }
}

/* First-order upwind on nodes (ATHENA). flux [ng] = number leaving node i downwards. */
static void bml_ssc__cool_upwind(bml_ssc_blob *blob, double lambda) {
    double in = 0;
    for (int i = blob->ng - 1; i >= 0; i--) {
        double rate = blob->gdot[i] / blob->width[i];
        blob->M[i] = (blob->S[i] + in) / (lambda + rate);
        in = blob->flux[i] = rate * blob->M[i];
    }
}

/* van Leer's limited difference: second order where smooth, 0 at extrema and edges. */
static double bml_ssc__limited(double a, double b) {
    return a * b > 0 ? 2 * a * b / (a + b) : 0;
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
        double c3;
        if (tau > 0.05) { /* c1 = 1 - e^-tau, c2 = tau - c1, c3 = weight of the slope in the number */
            c1 = tau < 700 ? -expm1(-tau) : 1;
            c2 = tau - c1;
            c3 = 1 - 0.5 * c1 - c1 / tau;
        } else {
            c1 = tau * (1 - tau / 2 * (1 - tau / 3 * (1 - tau / 4 * (1 - tau / 5))));
            c2 = tau * tau / 2 * (1 - tau / 3 * (1 - tau / 4 * (1 - tau / 5)));
            c3 = tau * tau * (1.0 / 12 - tau * (1.0 / 24 - tau / 80));
        }
        double number = (F * c1 + g[i] * c2 + d * c3) / lambda;
        double out = F + blob->S[i] - lambda * number;
        blob->M[i] = number;
        blob->flux[i] = F = out > 0 ? out : 0;
    }
}

/* Position of the electrons inside each cell, for the first moment of the synchrotron kernel: slope of M per cell. */
static void bml_ssc__slopes(bml_ssc_blob *blob) {
    for (int i = 0; i < blob->ng; i++) {
        double up = i + 1 < blob->ng ? blob->M[i + 1] : 0;
        double down = i > 0 ? blob->M[i - 1] : 0;
        blob->slope[i] = blob->M[i] > 0 ? bml_ssc__limited(up - blob->M[i], blob->M[i] - down) / blob->M[i] : 0;
    }
}

/* Self-absorption (9): kappa [nx] from the electrons, by parts so that every term is positive:
   -int p gamma^2 d(N/gamma^2) = sum over cells of N/gamma^2 [gamma^2 p] between the faces. */
static void bml_ssc__absorb(bml_ssc_blob *blob, double scale) {
    int nx = blob->nx;
    int r = blob->tab->r;
    double h = blob->tab->h;
    for (int i = 0; i < blob->ng; i++) {
        int hi = -2 * i - 1 - blob->syn_lo;
        int lo = hi + 2; /* faces i + 1/2 and i - 1/2 on the lattice r k - 2 i */
        const double *BML_SSC_RESTRICT P_hi = blob->syn0 + (hi % r) * blob->syn_len + hi / r;
        const double *BML_SSC_RESTRICT P_lo = blob->syn0 + (lo % r) * blob->syn_len + lo / r;
        double *BML_SSC_RESTRICT kappa = blob->kappa;
        double m = scale * blob->M[i] / blob->width[i];
        double up = m * exp(h);
        double down = m * exp(-h);
        if (!(m > 0)) continue;
        for (int k = 0; k < nx; k++)
            kappa[k] += (up * P_hi[k] - down * P_lo[k]) / (blob->x[k] * blob->x[k]);
    }
}

/* Redo the electrons with the heating by absorbed photons: the cooling fluxes of the first pass as flux[i] = rate_i M_i,
   plus the diffusion of (9) between neighbours, which gains exactly what bml_ssc__absorb takes; a tridiagonal system. */
static void bml_ssc__heat(bml_ssc_blob *blob, const double *n, double lambda, double scale) {
    int ng = blob->ng;
    int r = blob->tab->r;
    double hx = r * blob->tab->h;
    double *c_up = blob->work;
    double *rhs = blob->slope;
    double rate_up = 0;
    double diff_up = 0;                 /* rate of the cell above; diffusion through the upper face */
    for (int i = ng - 1; i >= 0; i--) { /* eliminate from the top: M_i = rhs_i + c_up_i M_(i-1) */
        double rate = blob->M[i] > 0 ? blob->flux[i] / blob->M[i] : blob->gdot[i] / blob->width[i];
        double g2 = blob->gamma[i] * blob->gamma[i];
        double D = 0;
        double diff = 0;
        if (i > 0) {
            int lo = -2 * i + 1 - blob->syn_lo;
            const double *P = blob->syn0 + (lo % r) * blob->syn_len + lo / r;
            for (int k = 0; k < blob->nx; k++)
                D += P[k] * n[k];
            diff = scale * hx * D * blob->gamma[i] * blob->gamma[i - 1] / (blob->gamma[i] - blob->gamma[i - 1]);
        }
        double a = 1 / (blob->width[i] * g2);
        double own = diff_up * a; /* what this cell loses upwards */
        double diag = lambda + rate + diff * a + own;
        double source = blob->S[i];
        if (i + 1 < ng) { /* inflow from above: (rate_up + diff_up a_up) M_up, M_up = rhs + c M_i */
            double in = rate_up + diff_up / (blob->width[i + 1] * blob->gamma[i + 1] * blob->gamma[i + 1]);
            diag -= in * c_up[i + 1];
            source += in * rhs[i + 1];
        }
        rhs[i] = source / diag;
        c_up[i] = i > 0 ? diff / (blob->width[i - 1] * blob->gamma[i - 1] * blob->gamma[i - 1]) / diag : 0;
        rate_up = rate;
        diff_up = diff;
        blob->flux[i] = rate;
    }
    for (int i = 0; i < ng; i++) {
        blob->M[i] = rhs[i] + (i > 0 ? c_up[i] * blob->M[i - 1] : 0);
        blob->flux[i] *= blob->M[i];
    }
}

/* Photon-photon absorption (10) on targets n [nx] (density): adds to kappa, and to S the pairs that the blob's own photons
   make, their number taken ahead to the new kappa (escape: the photons' own loss rate without it), or kappa >> 1 would run
   away; *soft = energy absorbed where pairs would have gamma <= 1. kappa [nx] holds the last pass on entry. */
static void bml_ssc__pairs(bml_ssc_blob *blob, const double *BML_SSC_RESTRICT n, double escape, double *soft) {
    int nx = blob->nx;
    double hx = blob->tab->r * blob->tab->h;
    double h = blob->tab->h;
    double *nxh = blob->emit; /* scratch */
    for (int k = 0; k < nx; k++)
        nxh[k] = n[k] * blob->x[k] * hx;
    for (int k = 0; k < nx; k++) {
        int from = BML_SSC__MIN(nx, BML_SSC__MAX(0, bml_ssc__floor(-2 * blob->lx0 / hx) - k)); /* x x' > 1 */
        double sum = bml_ssc__dot(nxh + from, blob->gg + k + from, nx - from);
        double gamma = 0.5 * blob->x[k];
        double u = (log(gamma) - blob->lg0) / h;
        int i = bml_ssc__floor(u);
        double rate = sum * blob->n[k] * blob->x[k] * hx; /* photons absorbed per R/c */
        if (gamma > 1) rate *= (escape + blob->kappa[k]) / (escape + sum);
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
   BDF2 with variable steps: a0 u - a1 u' - a2 u'' = dt (du/dt at the new time), u' and u'' the last two values; the first
   step is backward Euler. Electrons and photons feed each other, so a step is iterated until the loss rates agree. */

typedef struct bml_ssc__step {
    double dt, omega, a0, a1, a2;
    double rho, rho3, injection, expansion; /* R/R0, its cube, factor on Q, dln(R)/dt */
    double absorb_scale, soft;
} bml_ssc__step;

static void bml_ssc__swap(double **a, double **b) {
    double *c = *a;
    *a = *b;
    *b = c;
}

/* Coefficients of the step, and the drive at its end. */
static int bml_ssc__prepare(bml_ssc__step *st, bml_ssc_blob *blob, double dt) {
    double w = blob->dt_last > 0 ? dt / blob->dt_last : 0;
    st->dt = dt;
    st->omega = w;
    st->a0 = (1 + 2 * w) / (1 + w);
    st->a1 = 1 + w;
    st->a2 = -w * w / (1 + w);
    st->rho = st->rho3 = st->injection = 1;
    st->expansion = st->soft = 0;
    if (blob->src.drive || blob->src.expansion_speed > 0) {
        bml_ssc_drive now;
        bml_ssc__drive(&now, &blob->src, blob->t + dt);
        if (!(now.injection >= 0 && now.injection < 1e30))
            return bml_ssc__refuse(blob, BML_SSC_PARAMETER, "drive: injection", now.injection);
        if (!(now.R > 1e-6 && now.R < 1e6 && log(now.R) >= blob->ln_R[0] - 1e-9))
            return bml_ssc__refuse(blob, BML_SSC_PARAMETER, "drive: R", now.R);
        double B = now.B * blob->src.B;
        if (!(B >= 1e-8 && B <= 1e6)) return bml_ssc__refuse(blob, BML_SSC_PARAMETER, "drive: B", now.B);
        st->rho = now.R;
        st->rho3 = now.R * now.R * now.R;
        st->injection = now.injection;
        st->expansion = (st->a0 * log(now.R) - st->a1 * blob->ln_R[0] - st->a2 * blob->ln_R[1]) / dt; /* as the state */
        st->expansion = BML_SSC__MAX(st->expansion, 0.0);
        blob->ln_R[1] = blob->ln_R[0];
        blob->ln_R[0] = log(now.R);
        if (fabs(B - blob->b * BML_SSC__B_CRIT) > 1e-12 * B) {
            blob->b = B / BML_SSC__B_CRIT;
            blob->l_B = BML_SSC__SIGMA_T * blob->src.R * B * B / (8 * BML_SSC__PI * BML_SSC__MC2);
            bml_ssc__kernels_synchrotron(blob);
        }
    }
    st->absorb_scale = BML_SSC__LAMBDA_C * BML_SSC__LAMBDA_C * BML_SSC__LAMBDA_C /
                       (8 * BML_SSC__PI * BML_SSC__SIGMA_T * blob->src.R * st->rho3);
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
    bml_ssc__add_compton_loss(gdot, blob->target, blob);
}

/* Electrons of the new time for the present gdot and photons. */
static void bml_ssc__move_electrons(bml_ssc_blob *blob, bml_ssc__step *st) {
    double lambda = st->a0 / st->dt + 1 / (blob->src.electron_escape * st->rho);
    memcpy(blob->S, blob->base, (size_t)blob->ng * sizeof *blob->S);
    st->soft = 0;
    if (blob->src.pair_production)
        bml_ssc__pairs(blob, blob->target, st->a0 / st->dt + 1 / st->rho, &st->soft);
    else
        memset(blob->kappa, 0, (size_t)blob->nx * sizeof *blob->kappa);
    if (blob->tab->grid == BML_SSC_ATHENA)
        bml_ssc__cool_upwind(blob, lambda);
    else
        bml_ssc__cool_fitted(blob, lambda);
    if (blob->src.self_absorption) {
        double hx = blob->tab->r * blob->tab->h;
        double before = 0;
        double after = 0;
        if (blob->src.self_absorption == BML_SSC_SSA_HEATING) bml_ssc__heat(blob, blob->n, lambda, st->absorb_scale);
        for (int k = 0; k < blob->nx; k++)
            before += blob->kappa[k] * blob->n[k] * blob->x[k] * blob->x[k];
        bml_ssc__absorb(blob, st->absorb_scale);
        for (int k = 0; k < blob->nx; k++)
            after += blob->kappa[k] * blob->n[k] * blob->x[k] * blob->x[k];
        if (blob->src.self_absorption == BML_SSC_SSA) st->soft += hx * (after - before);
    }
    bml_ssc__slopes(blob);
}

/* One component of the photons at the new time. */
static void bml_ssc__move_photons(bml_ssc_blob *blob, const bml_ssc__step *st, int c) {
    double lambda = st->a0 / st->dt + 1 / st->rho;
    for (int k = 0; k < blob->nx; k++)
        blob->comp[c][k] =
            (bml_ssc__history(st, blob->comp1[c][k], blob->comp2[c][k]) + blob->emit[k]) / (lambda + blob->kappa[k]);
}

static void bml_ssc__sum_components(bml_ssc_blob *blob) {
    for (int k = 0; k < blob->nx; k++)
        blob->n[k] = blob->comp[0][k] + blob->comp[1][k] + blob->comp[2][k];
}

static void bml_ssc__enter(bml_ssc_blob *blob, const bml_ssc__step *st, int which, double rate) {
    bml_ssc__ledger *l = &blob->ledger[which];
    l->before = l->last;
    l->last = l->now;
    l->now = (st->a1 * l->last + st->a2 * l->before + st->dt * rate) / st->a0;
}

/* Where energy went in this step; integrated by the same formula as the state, so that the books can close. */
static void bml_ssc__keep_books(bml_ssc_blob *blob, const bml_ssc__step *st) {
    double injected = 0;
    double electrons = 0;
    double photons = 0;
    double hx = blob->tab->r * blob->tab->h;
    for (int i = 0; i < blob->ng; i++) {
        injected += blob->Q[i] * blob->gamma[i];
        electrons += blob->M[i] * blob->gamma[i];
    }
    for (int k = 0; k < blob->nx; k++)
        photons += hx * blob->x[k] * blob->x[k] * blob->n[k];
    bml_ssc__enter(blob, st, BML_SSC__INJECTED, injected * st->injection);
    bml_ssc__enter(blob, st, BML_SSC__ESC_E, electrons / (blob->src.electron_escape * st->rho));
    bml_ssc__enter(blob, st, BML_SSC__ESC_X, photons / st->rho);
    double face = blob->gamma[0]; /* electrons leave through the lower face of a cell, or at a node */
    if (blob->tab->grid == BML_SSC_CONVERGED) face = BML_SSC__MAX(1.0, face * exp(-0.5 * blob->tab->h));
    bml_ssc__enter(blob, st, BML_SSC__COOLED, blob->flux[0] * face + st->soft);
    bml_ssc__enter(blob, st, BML_SSC__WORK, electrons * st->expansion);
}

static int bml_ssc__advance_step(bml_ssc_blob *blob, double dt) {
    bml_ssc__step st;
    int status = bml_ssc__prepare(&st, blob, dt);
    double change = HUGE_VAL;
    if (status) return status;
    bml_ssc__swap(&blob->M2, &blob->M1);
    memcpy(blob->M1, blob->M, (size_t)blob->ng * sizeof(double));
    memcpy(blob->n1, blob->n, (size_t)blob->nx * sizeof(double));
    for (int c = 0; c < BML_SSC__COMPONENTS; c++) {
        bml_ssc__swap(&blob->comp2[c], &blob->comp1[c]);
        bml_ssc__swap(&blob->comp1[c], &blob->comp[c]);
        for (int k = 0; k < blob->nx; k++) { /* first guess: linear in time */
            double last = blob->comp1[c][k];
            double guess = last + st.omega * (last - blob->comp2[c][k]);
            blob->comp[c][k] = guess > 0.5 * last ? guess : 0.5 * last;
        }
    }
    bml_ssc__sum_components(blob);
    int i;
    for (i = 0; i < blob->ng; i++)
        blob->base[i] = bml_ssc__history(&st, blob->M1[i], blob->M2[i]) + st.injection * blob->Q[i];

    bml_ssc__losses(blob->gdot, blob, &st);
    for (int pass = 0; pass < 60 && !(change <= blob->tolerance); pass++) {
        bml_ssc__move_electrons(blob, &st);
        bml_ssc__emit_synchrotron(blob->emit, blob);
        bml_ssc__move_photons(blob, &st, BML_SSC__SYN);
        for (int k = 0; k < blob->nx; k++)
            blob->target[k] =
                (blob->comp[BML_SSC__SYN][k] + blob->comp[BML_SSC__SSC][k] + blob->comp[BML_SSC__EXT][k]) / st.rho3;
        bml_ssc__emit_compton(blob->emit, blob->target, blob);
        bml_ssc__move_photons(blob, &st, BML_SSC__SSC);
        if (blob->src.n_external > 0) {
            bml_ssc__emit_compton(blob->emit, blob->n_ext, blob);
            bml_ssc__move_photons(blob, &st, BML_SSC__EXT);
        }
        bml_ssc__sum_components(blob);
        bml_ssc__losses(blob->old, blob, &st);
        for (i = 0, change = 0; i < blob->ng; i++) {
            double relative = fabs(blob->old[i] - blob->gdot[i]) / blob->old[i];
            if (!(relative <= change)) change = relative; /* a NaN stays */
        }
        if (pass >= 8) /* a slow or circling fixed point is met half-way */
            for (i = 0; i < blob->ng; i++)
                blob->old[i] = 0.5 * (blob->old[i] + blob->gdot[i]);
        bml_ssc__swap(&blob->old, &blob->gdot);
    }
    bml_ssc__keep_books(blob, &st);
    blob->dt_last = dt;
    blob->t += dt;
    if (change != change) {
        blob->started = 0; /* there is no best estimate to deliver */
        return bml_ssc__refuse(blob, BML_SSC_PARAMETER, "loss rate", change);
    }
    if (!(change <= blob->tolerance))
        return bml_ssc__refuse(blob, BML_SSC_NOT_CONVERGED, "loss rates change by", change);
    return BML_SSC_OK;
}

BML_SSC_DEF int bml_ssc_advance(bml_ssc_blob *blob, double t) {
    int status = BML_SSC_OK;
    if (!blob) return BML_SSC_BAD_ARGUMENT;
    if (!blob->started || !(t > blob->t && t - blob->t < 1e6)) return bml_ssc__refuse(blob, BML_SSC_TIME, "t", t);
    double start = blob->t;
    double steps = ceil((t - start) / blob->tab->time_step - 1e-9);
    int n = steps < 1 ? 1 : (int)steps;
    for (int i = 0; i < n; i++) {
        int s = bml_ssc__advance_step(blob, start + (t - start) * (i + 1) / n - blob->t);
        if (s && s != BML_SSC_NOT_CONVERGED) return s;
        if (s) status = s;
    }
    blob->t = t;
    return status;
}

BML_SSC_DEF int bml_ssc_steady(bml_ssc_blob *blob, double tolerance) {
    if (!blob) return BML_SSC_BAD_ARGUMENT;
    if (!blob->started) return bml_ssc__refuse(blob, BML_SSC_TIME, "t", 0);
    if (blob->src.drive || blob->src.expansion_speed > 0) return bml_ssc__refuse(blob, BML_SSC_PARAMETER, "drive", 1);
    if (tolerance == 0) tolerance = 1e-4;
    if (!(tolerance >= 1e-8 && tolerance <= 0.1))
        return bml_ssc__refuse(blob, BML_SSC_PARAMETER, "tolerance", tolerance);
    blob->tolerance = BML_SSC__MIN(1e-3, 0.1 * tolerance);
    double dt = blob->tab->time_step;
    for (int step = 0; step < 1000; step++) {
        double peak = 0;
        double change = 0;
        double electrons = 0;
        double electrons1 = 0;
        int status = bml_ssc__advance_step(blob, dt);
        if (status && status != BML_SSC_NOT_CONVERGED) return status;
        for (int k = 0; k < blob->nx; k++)
            peak = BML_SSC__MAX(peak, blob->x[k] * blob->x[k] * blob->n[k]);
        for (int k = 0; k < blob->nx; k++)
            if (blob->x[k] * blob->x[k] * blob->n[k] > 1e-8 * peak)
                change = BML_SSC__MAX(change, fabs(blob->n[k] - blob->n1[k]) / blob->n[k]);
        for (int k = 0; k < blob->ng; k++) {
            electrons += blob->M[k];
            electrons1 += blob->M1[k];
        }
        change = BML_SSC__MAX(change, fabs(electrons - electrons1) / electrons);
        if (!status && blob->t > 3 && change <= tolerance * BML_SSC__MIN(dt, 1.0)) return BML_SSC_OK;
        dt = BML_SSC__MIN(1.3 * dt, 1e4);
    }
    return bml_ssc__refuse(blob, BML_SSC_NOT_CONVERGED, "t", blob->t);
}

BML_SSC_DEF int bml_ssc_solve(bml_ssc_blob *blob, const bml_ssc_source *source) {
    int status = bml_ssc_begin(blob, source);
    return status ? status : bml_ssc_advance(blob, blob->src.t_end);
}

/* >> output ---------------------------------------------------------------------------------------------------------- */

static const double *bml_ssc__component(const bml_ssc_blob *blob, bml_ssc_component component) {
    switch (component) {
    case BML_SSC_TOTAL: return blob->n;
    case BML_SSC_SYNCHROTRON: return blob->comp[BML_SSC__SYN];
    case BML_SSC_COMPTON: return blob->comp[BML_SSC__SSC];
    case BML_SSC_EXTERNAL: return blob->comp[BML_SSC__EXT];
    default: return NULL;
    }
}

/* The logarithms of four neighbouring nodes, kept from point to point, since points come in order. */
typedef struct bml_ssc__curve {
    const double *v, *at, *per; /* [n]: the curve is ln(v at^2/per); per NULL = 1 */
    double lo, step;            /* ln at[0], spacing */
    int n, cubic, k;            /* k: index of y[1]; -2 when y is empty */
    double y[4];
} bml_ssc__curve;

static double bml_ssc__node(const bml_ssc__curve *c, int k) {
    if (k < 0 || k >= c->n || c->v[k] <= 0) return -HUGE_VAL; /* a NaN goes on as NaN */
    return log(c->v[k] * c->at[k] * c->at[k] / (c->per ? c->per[k] : 1));
}

/* ln of the curve at ln_at. */
static double bml_ssc__evaluate(bml_ssc__curve *c, double ln_at) {
    double u = (ln_at - c->lo) / c->step;
    if (!(u < c->n - (c->cubic ? 0.5 : 1.0))) return -HUGE_VAL; /* half a cell beyond the last node ends the grid */
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
    if (!(y1 > -HUGE_VAL && y2 > -HUGE_VAL)) return -HUGE_VAL;
    if (!c->cubic || w < 0 || w > 1 || !(y0 > -HUGE_VAL && y3 > -HUGE_VAL)) return y1 + w * (y2 - y1);
    return y1 + 0.5 * w * (y2 - y0 + w * (2 * y0 - 5 * y1 + 4 * y2 - y3 + w * (3 * (y1 - y2) + y3 - y0)));
}

static bml_ssc__curve bml_ssc__photons(const bml_ssc_blob *blob, const double *n) {
    bml_ssc__curve c;
    memset(&c, 0, sizeof c);
    c.v = n;
    c.at = blob->x;
    c.lo = blob->lx0;
    c.step = blob->tab->r * blob->tab->h;
    c.n = blob->nx;
    c.cubic = blob->tab->grid == BML_SSC_CONVERGED;
    c.k = -2;
    return c;
}

BML_SSC_DEF int bml_ssc_spectrum(double *log10_x2n, const double *log10_x, int n, const bml_ssc_blob *blob,
                                 bml_ssc_component component) {
    const double *v = blob ? bml_ssc__component(blob, component) : NULL;
    if (!log10_x2n || !log10_x || n < 1 || !v || !blob->started) return BML_SSC_BAD_ARGUMENT;
    bml_ssc__curve c = bml_ssc__photons(blob, v);
    for (int i = 0; i < n; i++)
        log10_x2n[i] = bml_ssc__evaluate(&c, log10_x[i] * BML_SSC__LN10) / BML_SSC__LN10;
    return BML_SSC_OK;
}

BML_SSC_DEF int bml_ssc_electrons(double *log10_g2N, const double *log10_gamma, int n, const bml_ssc_blob *blob) {
    if (!log10_g2N || !log10_gamma || n < 1 || !blob || !blob->started) return BML_SSC_BAD_ARGUMENT;
    bml_ssc__curve c = bml_ssc__photons(blob, blob->M);
    c.per = blob->width;
    c.at = blob->gamma;
    c.lo = blob->lg0;
    c.step = blob->tab->h;
    c.n = blob->ng;
    for (int i = 0; i < n; i++)
        log10_g2N[i] = bml_ssc__evaluate(&c, log10_gamma[i] * BML_SSC__LN10) / BML_SSC__LN10;
    return BML_SSC_OK;
}

BML_SSC_DEF double bml_ssc_luminosity_distance(double z, double H0, double omega_m) {
    double sum = 0;
    if (!(z > 0 && z < 1e4 && H0 > 0 && H0 < HUGE_VAL && omega_m > 0 && omega_m <= 1)) return (double)NAN;
    int pieces = 1 + (int)(2 * log1p(z));
    double half = 0.5 * log1p(z) / pieces; /* int dz/E(z), in ln(1 + z) */
    for (int piece = 0; piece < pieces; piece++)
        for (int i = 0; i < 4; i++)
            for (int side = -1; side <= 1; side += 2) {
                double y = exp(half * (2 * piece + 1 + side * bml_ssc__gauss_x[i]));
                sum += half * bml_ssc__gauss_w[i] * y / sqrt(omega_m * y * y * y + 1 - omega_m);
            }
    return (1 + z) * sum * BML_SSC__C / (H0 * 1e5) * BML_SSC__MPC;
}

/* Defaults and checks of an observer; *distance in cm. */
static int bml_ssc__observer(double *distance, double *delta, const bml_ssc_observer *o) {
    *delta = o->delta == 0 ? 1 : o->delta;
    *distance = o->distance;
    if (!(o->redshift >= 0 && o->redshift < 1e4) || !(*delta > 0 && *delta < 1e6)) return BML_SSC_PARAMETER;
    if (*distance == 0)
        *distance =
            bml_ssc_luminosity_distance(o->redshift, o->H0 == 0 ? 70 : o->H0, o->omega_m == 0 ? 0.3 : o->omega_m);
    return *distance > 0 && *distance < HUGE_VAL ? BML_SSC_OK : BML_SSC_PARAMETER;
}

/* Cell of a growing table that holds v, and the position in it; -1 outside. */
static int bml_ssc__cell(double *w, double v, const double *at, int n) {
    if (!(v >= at[0] && v <= at[n - 1])) return -1;
    int i;
    for (i = 0; i < n - 2 && v > at[i + 1]; i++) {}
    *w = (v - at[i]) / (at[i + 1] - at[i]);
    return i;
}

BML_SSC_DEF int bml_ssc_ebl_depth(double *tau, const bml_ssc_ebl *e, double z, double nu) {
    double wz = 0;
    double wn = 0;
    double log_nu = log10(nu);
    if (!tau || !e || !e->z || !e->log10_nu || !e->tau || e->n_z < 2 || e->n_nu < 2) return BML_SSC_BAD_ARGUMENT;
    *tau = 0;
    if (log_nu < e->log10_nu[0]) return BML_SSC_OK;
    int iz = bml_ssc__cell(&wz, z, e->z, e->n_z);
    int in = bml_ssc__cell(&wn, log_nu, e->log10_nu, e->n_nu);
    if (iz < 0 || in < 0) return BML_SSC_OUTSIDE_TABLE;
    const double *t = e->tau + iz * e->n_nu + in;
    if (!(e->z[iz + 1] > e->z[iz] && e->log10_nu[in + 1] > e->log10_nu[in] && t[0] >= 0 && t[1] >= 0 &&
          t[e->n_nu] >= 0 && t[e->n_nu + 1] >= 0))
        return BML_SSC_PARAMETER;
    *tau = (1 - wz) * ((1 - wn) * t[0] + wn * t[1]) + wz * ((1 - wn) * t[e->n_nu] + wn * t[e->n_nu + 1]);
    return BML_SSC_OK;
}

/* nu L_nu [erg/s] per x^2 n (12), with the escape time R/c of the present R. */
static double bml_ssc__luminosity_unit(const bml_ssc_blob *blob) {
    bml_ssc_drive now;
    bml_ssc__drive(&now, &blob->src, blob->t);
    return 4 * BML_SSC__PI * blob->src.R * BML_SSC__MC2 * BML_SSC__C / (3 * BML_SSC__SIGMA_T * now.R);
}

BML_SSC_DEF int bml_ssc_sed(double *nuFnu, const double *nu, int n, const bml_ssc_blob *blob,
                            const bml_ssc_observer *observer, bml_ssc_component component) {
    const double *v = blob ? bml_ssc__component(blob, component) : NULL;
    if (!nuFnu || !nu || n < 1 || !v || !blob->started || !observer) return BML_SSC_BAD_ARGUMENT;
    double d;
    double delta;
    int status = bml_ssc__observer(&d, &delta, observer);
    if (status) return status;
    double scale = bml_ssc__luminosity_unit(blob) * pow(delta, 4) / (4 * BML_SSC__PI * d * d);
    double shift = (1 + observer->redshift) / delta * BML_SSC__H / BML_SSC__MC2;
    bml_ssc__curve c = bml_ssc__photons(blob, v);
    double tau;
    for (int i = 0; i < n; i++) {
        if (!(nu[i] > 0 && nu[i] < HUGE_VAL)) return BML_SSC_PARAMETER;
        tau = 0;
        if (observer->ebl) status = bml_ssc_ebl_depth(&tau, observer->ebl, observer->redshift, nu[i]);
        if (status) return status;
        nuFnu[i] = scale * exp(bml_ssc__evaluate(&c, log(nu[i] * shift)) - tau);
    }
    return BML_SSC_OK;
}

BML_SSC_DEF int bml_ssc_energy(bml_ssc_balance *out, const bml_ssc_blob *blob) {
    if (!out || !blob || !blob->started) return BML_SSC_BAD_ARGUMENT;
    memset(out, 0, sizeof *out);
    double hx = blob->tab->r * blob->tab->h;
    for (int i = 0; i < blob->ng; i++)
        out->electrons += blob->M[i] * blob->gamma[i];
    for (int k = 0; k < blob->nx; k++)
        out->photons += hx * blob->x[k] * blob->x[k] * blob->n[k];
    out->injected = blob->ledger[BML_SSC__INJECTED].now;
    out->escaped_electrons = blob->ledger[BML_SSC__ESC_E].now;
    out->escaped_photons = blob->ledger[BML_SSC__ESC_X].now;
    out->cooled = blob->ledger[BML_SSC__COOLED].now;
    out->expansion = blob->ledger[BML_SSC__WORK].now;
    out->residual = out->injected > 0 ? 1 - (out->electrons + out->photons + out->escaped_electrons +
                                             out->escaped_photons + out->cooled + out->expansion) /
                                                out->injected
                                      : 0;
    return BML_SSC_OK;
}

/* Peak of x^2 (v + w): ln x and the value, by a parabola through the highest node and its neighbours in log-log. */
static double bml_ssc__peak(double *ln_x, const bml_ssc_blob *blob, const double *v, const double *w) {
    double best = 0;
    double y[3];
    int k;
    int at = -1;
    for (k = 0; k < blob->nx; k++) {
        double value = blob->x[k] * blob->x[k] * (v[k] + (w ? w[k] : 0));
        if (value > best) {
            best = value;
            at = k;
        }
    }
    *ln_x = 0;
    if (at < 0) return 0;
    *ln_x = log(blob->x[at]);
    if (at == 0 || at == blob->nx - 1) return best;
    for (int i = 0; i < 3; i++) {
        k = at + i - 1;
        y[i] = blob->x[k] * blob->x[k] * (v[k] + (w ? w[k] : 0));
        if (!(y[i] > 0)) return best;
        y[i] = log(y[i]);
    }
    double bend = y[0] - 2 * y[1] + y[2];
    if (!(bend < 0)) return best;
    double u = 0.5 * (y[0] - y[2]) / bend;
    *ln_x += u * blob->tab->r * blob->tab->h;
    return exp(y[1] - 0.25 * (y[0] - y[2]) * u);
}

BML_SSC_DEF int bml_ssc_derive(bml_ssc_derived *out, const bml_ssc_blob *blob, const bml_ssc_observer *observer) {
    if (!out || !blob || !blob->started || !observer) return BML_SSC_BAD_ARGUMENT;
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
    out->L_injected = drive.injection * blob->src.compactness * 4 * BML_SSC__PI * blob->src.R * BML_SSC__MC2 *
                      BML_SSC__C / BML_SSC__SIGMA_T;
    out->P_jet = 2 * BML_SSC__PI * R * R * delta * delta * BML_SSC__C * (out->U_e + out->U_B + out->U_rad);
    unit = bml_ssc__luminosity_unit(blob) * pow(delta, 4);
    double ln_x;
    double peak = bml_ssc__peak(&ln_x, blob, blob->comp[BML_SSC__SYN], NULL);
    out->L_synchrotron = unit * peak;
    out->nu_synchrotron = exp(ln_x) * BML_SSC__MC2 / BML_SSC__H * delta / (1 + observer->redshift);
    peak = bml_ssc__peak(&ln_x, blob, blob->comp[BML_SSC__SSC], blob->comp[BML_SSC__EXT]);
    if (peak > 0) {
        out->L_compton = unit * peak;
        out->nu_compton = exp(ln_x) * BML_SSC__MC2 / BML_SSC__H * delta / (1 + observer->redshift);
    }
    out->compton_dominance = out->L_synchrotron > 0 ? out->L_compton / out->L_synchrotron : 0;
    return BML_SSC_OK;
}

/* >> data ------------------------------------------------------------------------------------------------------------ */

BML_SSC_DEF void bml_ssc_point_errors(bml_ssc_point *point, double err_lo, double err_hi) {
    double F = point->nuFnu;
    point->sigma_hi = log10((F + err_hi) / F);
    point->sigma_lo = err_lo < F ? log10(F / (F - err_lo)) : err_lo / (F * BML_SSC__LN10);
}

/* ln of the normal distribution function; the asymptotic series where erfc underflows. */
static double bml_ssc__ln_phi(double z) {
    if (z > -20) return log(0.5 * erfc(-z / sqrt(2.0)));
    return -0.5 * z * z - log(-z * sqrt(2 * BML_SSC__PI)) + log1p(-1 / (z * z) + 3 / (z * z * z * z));
}

BML_SSC_DEF int bml_ssc_log_likelihood(double *ln_l, const double *model, const bml_ssc_point *points, int n,
                                       double ln_f) {
    double sum = 0;
    double extra = exp(2 * ln_f);
    if (!ln_l || !model || !points || n < 1) return BML_SSC_BAD_ARGUMENT;
    *ln_l = (double)NAN;
    if (!(extra < HUGE_VAL)) return BML_SSC_PARAMETER;
    for (int i = 0; i < n; i++) {
        const bml_ssc_point *p = &points[i];
        double F = model[i];
        if (!(F >= 0 && F < HUGE_VAL)) return BML_SSC_PARAMETER;
        if (!(p->nuFnu > 0 && p->nuFnu < HUGE_VAL && p->sigma_hi >= 0 && p->sigma_hi < HUGE_VAL)) return BML_SSC_POINT;
        if (!p->upper_limit && !(p->sigma_lo >= 0 && p->sigma_lo < HUGE_VAL)) return BML_SSC_POINT;
        if (p->upper_limit) {
            double sigma = p->sigma_hi == 0 ? p->nuFnu / 1.6448536269514722 : p->sigma_hi;
            sum += bml_ssc__ln_phi((p->nuFnu - F) / sigma);
        } else {
            double r = log10(F / p->nuFnu);
            double sigma = r > 0 ? p->sigma_hi : p->sigma_lo;
            double var = sigma * sigma + extra;
            if (!(var > 0)) return BML_SSC_POINT;
            sum += F > 0 ? -0.5 * (r * r / var + log(2 * BML_SSC__PI * var)) : -HUGE_VAL;
        }
    }
    *ln_l = sum;
    return BML_SSC_OK;
}

/* >> batch ----------------------------------------------------------------------------------------------------------- */

static int bml_ssc__one_of_batch(const bml_ssc_batch_job *job, bml_ssc_blob *blob, int row) {
    double *out = job->out + (size_t)row * (size_t)job->n;
    int status = bml_ssc_solve(blob, &job->sources[row]);
    if (!status || status == BML_SSC_NOT_CONVERGED) {
        int s = job->observers ? bml_ssc_sed(out, job->grid, job->n, blob, &job->observers[row], job->component)
                               : bml_ssc_spectrum(out, job->grid, job->n, blob, job->component);
        if (s) status = s;
    }
    if (status && status != BML_SSC_NOT_CONVERGED)
        for (int i = 0; i < job->n; i++)
            out[i] = (double)NAN;
    if (job->status) job->status[row] = status;
    return status;
}

BML_SSC_DEF int bml_ssc_batch(const bml_ssc_batch_job *job, const bml_ssc *tables) {
    int threads = 1;
    int made = 0;
    int first_status = BML_SSC_OK;
    if (!job || !tables || !job->out || !job->sources || !job->grid || job->n_sources < 1 || job->n < 1)
        return BML_SSC_BAD_ARGUMENT;
#ifdef _OPENMP
    threads = job->threads > 0 ? job->threads : omp_get_max_threads();
    threads = BML_SSC__MIN(BML_SSC__MIN(threads, job->n_sources), 4096);
#endif
    bml_ssc_blob **blobs;
    blobs = (bml_ssc_blob **)BML_SSC_MALLOC((size_t)threads * sizeof *blobs);
    if (!blobs) return BML_SSC_NO_MEMORY;
    for (made = 0; made < threads; made++)
        if (bml_ssc_blob_create(&blobs[made], tables, NULL)) break;
    int first_row = job->n_sources;
    if (made < threads) {
        first_status = BML_SSC_NO_MEMORY;
    } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(threads)
#endif
        for (int row = 0; row < job->n_sources; row++) {
            int me = 0;
#ifdef _OPENMP
            me = omp_get_thread_num();
#endif
            int status = bml_ssc__one_of_batch(job, blobs[me], row);
            if (status) {
#ifdef _OPENMP
#pragma omp critical(bml_ssc__first)
#endif
                if (row < first_row) {
                    first_row = row;
                    first_status = status;
                }
            }
        }
    }
    for (int thread = 0; thread < made; thread++)
        bml_ssc_blob_free(blobs[thread]);
    BML_SSC_FREE(blobs);
    return first_status;
}

#endif /* BML_SSC_IMPLEMENTED */
#endif /* BML_SSC_IMPLEMENTATION */

/* Version 0.1.0 (2026): first release.

   Licence: public domain (unlicense.org), or, at your choice, MIT: see the file LICENSE. */
