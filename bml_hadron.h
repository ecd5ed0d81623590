/* bml_hadron.h: protons in one-zone sources, in C99: the photons, pairs and neutrinos that they make, in milliseconds.

   Relativistic protons meet photons and cold gas in a blob. The header follows them in time and gives what they make:
   pi0 photons, pairs, neutrinos of each flavour, their own synchrotron light. It works on plain arrays, or beside a
   code for electrons and photons, pass by pass: bml_ssc.h calls it through its exchange hook, and runs the cascades.

   In ONE source file:           #define BML_HADRON_IMPLEMENTATION
                                 #include "bml_hadron.h"
   everywhere else just:         #include "bml_hadron.h"             and link with -lm

       #define BML_HADRON_IMPLEMENTATION
       #include "bml_hadron.h"
       #include <stdio.h>

       int main(void) {
           bml_hadron *tables;                                     // made once, read by all threads
           bml_hadron_blob *blob;                                  // one per thread
           char why[BML_HADRON_MESSAGE];                           // the reason when something cannot be made
           double gamma[2] = {1e4, 1e9}, N[2] = {1, 1e-10};        // protons [cm^-3], a power law gamma^-2
           double x[2] = {1e-6, 1e-1}, n[2] = {1e15, 1e5};         // photons [cm^-3], x = h nu/(m_e c^2)
           bml_hadron_given given = {.gamma = gamma, .N = N, .n_gamma = 2, .x = x, .n = n, .n_x = 2};
           double log_x = 10, y;

           if (bml_hadron_create(&tables, NULL, why) || bml_hadron_blob_create(&blob, tables, why))
               return fprintf(stderr, "%s\n", why), 1;
           if (bml_hadron_rates(blob, &given))
               return fprintf(stderr, "%s\n", bml_hadron_message(blob)), 1;
           bml_hadron_spectrum(&y, &log_x, 1, blob, BML_HADRON_NEUTRINOS);
           printf("neutrinos at 10^10 m_e c^2: E^2 Q = 10^%.2f m_e c^2 cm^-3 s^-1\n", y);
           bml_hadron_blob_free(blob);
           bml_hadron_free(tables);
           return 0;
       }

   It refuses: a source without R, B, gamma_min, gamma_max or power; parameters that are NaN, infinite or out of range;
   grids that are not logarithmic, or not of its own spacing; to go on after a refusal. It does no nuclei, and
   no space. */

/* ---- Setup, use, shutdown ---------------------------------------------------------------------------------------

   1. bml_hadron_create(&tables, &config, why): tabulates the kernels (about 0.05 s). Constant afterwards;
      threads share it.
   2. bml_hadron_blob_create(&blob, tables, why): state and workspace of one source. One per thread, used again and
      again.
   3. On plain arrays: bml_hadron_rates(blob, &given), then bml_hadron_spectrum.
   4. Beside bml_ssc.h, a whole source. The hook hands pointers over; the members have the same names on both sides:
          static int protons(bml_ssc_exchange *now, void *user) {
              bml_hadron_field f = {now->t, now->dt, now->pass, now->n_electrons, now->n_photons, now->R, now->B,
                                    now->dilution, now->gamma, now->width, now->x, now->n, now->outside,
                                    now->electrons, now->photons};
              return bml_hadron_exchange((bml_hadron_blob *)user, &f);
          }
          source.exchange = protons;                            // of the bml_ssc_source
          source.user = blob;
          source.gamma_top = bml_hadron_gamma_top(protons.gamma_max, source.gamma_max, 0);
          source.pair_production = 1;
          bml_hadron_begin(blob, &protons);
          bml_ssc_solve(ssc_blob, &source);                     // or begin, advance or steady
      The spacings of both configurations must agree. Before each begin of the one, call begin of the other.
   5. Read the blob as often as you like: bml_hadron_spectrum (comoving), bml_hadron_protons, bml_hadron_neutrinos
      (observer), bml_hadron_events, bml_hadron_energy (the balance), bml_hadron_derive.
   6. bml_hadron_blob_free, bml_hadron_free.

   ---- Options ----------------------------------------------------------------------------------------------------

   BML_HADRON_IMPLEMENTATION          in one file: compile the functions too
   BML_HADRON_STATIC                  make all functions static (several private copies in one program)
   BML_HADRON_IMPLEMENTED             defined where the functions exist already; define it yourself
                                      (-DBML_HADRON_IMPLEMENTED) when you link them from a library
   BML_HADRON_MALLOC(n), BML_HADRON_FREE(p)   own allocator: both or none
   Compile with -O3 -march=native for the speed quoted in the README. Never -ffast-math: the compiler would drop the
   tests for NaN, so the implementation stops with #error.

   ---- Physics ----------------------------------------------------------------------------------------------------

   Units inside, as in bml_ssc.h: time in R/c; energies over m_e c^2, so that a proton has M gamma, M = m_p/m_e;
   densities N(gamma), n(x) times sigma_T R, so that both are pure numbers; b = B/B_crit.

     dN/dt = Q - N/f + d(|gamma_dot| N)/dgamma          Q = Q0 gamma^-p, or another shape; f = escape [R/c]      (1)
         integral gamma Q dgamma = 3 l_p,  l_p = sigma_T L_p/(4 pi R m_p c^3);  L_p counts gamma m_p c^2          (2)
     Photons and protons (Kelner & Aharonian 2008, Phys. Rev. D 78, 034013, eqs. 30-31, tables I-III):
         dN_s/dE = int dE_p/E_p N int dn Phi_s(eta, E/E_p),  eta = 4 eps E_p/(m_p c^2)^2 > eta_0 = 0.313           (3)
         Phi = B exp(-s ln(x/x_-)^delta) ln(2/(1 + y^2))^psi,  y = (x - x_-)/(x_+ - x_-);  B ln(2)^psi below x_-   (4)
         s: photons (psi = 2.5 + 0.4 ln(eta/eta_0)); e+, anti-nu_mu, nu_mu, nu_e (2.5 + 1.4 ln(eta/eta_0)); e-,
         anti-nu_e, from two pions on. Between rows s and delta are linear in ln eta, ln B is a monotone cubic; B
         falls to 0 at the threshold; beyond the last row, eta = 100 eta_0, spectra keep the shape that they have there.
     Pairs (Bethe & Heitler; Blumenthal 1970, Phys. Rev. D 1, 1596, eq. 10; Kelner & Aharonian 2008, eq. 62): with
         zeta = gamma_e/gamma and w = 2 gamma x, for one proton and one photon,
         dN_e/dzeta = (4/w^2) int_(w_min)^w dw' w' int dE/p W(w', E, zeta)/sigma_T,   w_min = 1 + (zeta + 1/zeta)/2 (5)
         for electrons and positrons together.
     Gas (Kelner, Aharonian & Bugayov 2006, Phys. Rev. D 74, 034018, eqs. 58-62, 66, 79): photons, e+-, nu_mu, nu_e;
         below 100 GeV the shape is that at 100 GeV, times the cross section there.                               (6)
     Synchrotron light of protons: that of electrons with
         P = (4/3) l_B gamma^2/M^2,  x_c = (3/2) b gamma^2/M, averaged over pitch angles (Aharonian, Kelner &
         Prosekin 2010, Phys. Rev. D 82, 043002, eq. D7);  l_B = sigma_T R B^2/(8 pi m_e c^2)                     (7)
     Losses: gamma_dot is what (3)-(7) put into photons, pairs and neutrinos, taken from the same tables, so that the
         books of energy close; and gamma dln(R)/dt in an expanding blob.                                        (8)
     Neutrinos leave at once: nu L_nu = x^2 Q 4 pi R m_e c^3/(3 sigma_T), Q per R/c;
         nu_obs = delta nu/(1 + z),  nu F_nu = delta^4 nu L_nu/(4 pi d_L^2)                                       (9)
     At Earth, flavours are mixed: P(a -> b) = sum_i |U_ai|^2 |U_bi|^2, with the best fit of NuFIT 5.2 (2022, normal
         ordering), or 1:1:1.                                                                                   (10)
     Pions and muons in strong fields, by option (after Huemmer et al. 2010, ApJ 721, 630): leptons of energy E come
         from pions of 4 E and muons of 3 E, of which the share 1/(1 + loss rate/decay rate) decays before it has lost
         its energy to synchrotron light of x_c = (3/2) b gamma^2 m_e/m; what is lost goes there.               (11)
     Neutrons: charge is kept, so that a proton turns into a neutron at the rate of (3) for e+ less that for e-. They
         leave at once, by option, with the energy that they have; their decay outside is not followed.         (12)

   What is approximated: protons lose energy continuously; neutrons count as protons (their decay gives the proton
   back), or leave; (3) holds SOPHIA's energies to 10 % from 3 eta_0 on, 15 % less below 2 eta_0 and 20 % less between,
   where the tables have no row; (6) is good to 10 % above 100 GeV, to a factor of two below 10 GeV; (11) has no spectra
   of pions and muons; target photons are isotropic in the blob. Beside ATHEvA, pairs of (5) agree to 0.03 dex; products
   of pions lie 0.1 to 0.3 dex higher, where SOPHIA itself puts them within 0.03; so do neutrinos and pi0 photons of a
   whole source, and the rest of its photons lies within 0.15 dex. Neutrinos of eight blazars peak within 0.08 dex of
   AM3's (tests).

   When NOT to use it: nuclei; fields so strong that muons cool (bml_hadron_derived.muon_cooling > 0.1) without (11);
   pairs of gamma > B_crit/B, whose synchrotron light is quantised (bml_ssc.h takes it as classical, and loses up to
   14 % of the energy beyond its grid); proton energies below some GeV; protons that lose half of their energy in one
   collision and escape at once, since continuous losses smear that. Where the loop from protons to photons and back
   runs away within a step of the code beside it, that code may not converge, and bursts come too early: take steps of
   1/50 R/c. */

#ifndef BML_HADRON_H
#define BML_HADRON_H
#define BML_HADRON_VERSION 100 /* 0.1.0: 10000 major + 100 minor + patch */
#include <stddef.h>

#ifdef BML_HADRON_STATIC
#if defined(__GNUC__) || defined(__clang__)
#define BML_HADRON_DEF __attribute__((unused)) static
#else
#define BML_HADRON_DEF static
#endif
#else
#define BML_HADRON_DEF extern
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- API: status ------------------------------------------------------------------------------------------------ */
/* name, value, message. Everything but OK is negative. */
#define BML_HADRON_STATUS_TABLE(X)                                                            \
    X(BML_HADRON_OK, 0, "no error")                                                           \
    X(BML_HADRON_BAD_ARGUMENT, -1, "a pointer is NULL or a count is not positive")            \
    X(BML_HADRON_NO_MEMORY, -2, "out of memory")                                              \
    X(BML_HADRON_CONFIG, -4, "configuration: spacing outside its range")                      \
    X(BML_HADRON_PARAMETER, -5, "a parameter is missing, NaN, infinite or outside its range") \
    X(BML_HADRON_ORDER, -6, "gamma_max must be above gamma_min")                              \
    X(BML_HADRON_SPECTRUM, -7, "proton or photon spectrum: bad shape, or nothing in it")      \
    X(BML_HADRON_TIME, -8, "time must grow, from bml_hadron_begin on")                        \
    X(BML_HADRON_GRID, -9, "the grids of electrons and photons are not those that this header can use")

#define BML_HADRON__ENUM(name, value, text) name = (value),
typedef enum bml_hadron_status {
    BML_HADRON_STATUS_TABLE(BML_HADRON__ENUM) BML_HADRON__STATUS_END = 1
} bml_hadron_status;
#undef BML_HADRON__ENUM

enum { BML_HADRON_MESSAGE = 512 }; /* bytes of a message, NUL included */

/* The message of a status; "unknown status" for other numbers. Static text. */
BML_HADRON_DEF const char *bml_hadron_strerror(int status);

/* ---- API: tables and blobs -------------------------------------------------------------------------------------- */

typedef struct bml_hadron_config {
    double spacing; /* of all grids [dex], 0.05 ... 0.2; 0 = 0.1. That of the bml_ssc_config beside it */
} bml_hadron_config;

typedef struct bml_hadron bml_hadron;           /* the kernel tables: constant, shared by threads */
typedef struct bml_hadron_blob bml_hadron_blob; /* one source: state and workspace, one per thread */

/* Tabulate the kernels. config may be NULL (all defaults). *out is owned by the caller and freed by bml_hadron_free,
   and is NULL on error. why [BML_HADRON_MESSAGE], or NULL: the reason of a failure, "" otherwise.
   Errors: BAD_ARGUMENT, CONFIG, NO_MEMORY. */
BML_HADRON_DEF int bml_hadron_create(bml_hadron **out, const bml_hadron_config *config, char *why);
BML_HADRON_DEF void bml_hadron_free(bml_hadron *tables); /* NULL is fine */

/* Makes a blob that works with the tables, which must outlive it. *out and why as above. Errors: BAD_ARGUMENT,
   NO_MEMORY. */
BML_HADRON_DEF int bml_hadron_blob_create(bml_hadron_blob **out, const bml_hadron *tables, char *why);
BML_HADRON_DEF void bml_hadron_blob_free(bml_hadron_blob *blob); /* NULL is fine */

/* ---- API: the source -------------------------------------------------------------------------------------------- */

typedef enum bml_hadron_injection {
    BML_HADRON_POWER_LAW,    /* gamma^-p */
    BML_HADRON_BROKEN,       /* gamma^-p below gamma_break, gamma^-p2 above, continuous */
    BML_HADRON_LOG_PARABOLA, /* (gamma/gamma_break)^-(p + curvature log10(gamma/gamma_break)) */
    BML_HADRON_CUTOFF        /* gamma^-p exp(-gamma/gamma_break) */
} bml_hadron_injection;

/* Processes, for bml_hadron_source.off. */
enum { BML_HADRON_PHOTOPION = 1 };
enum { BML_HADRON_PAIRS = 2 };
enum { BML_HADRON_GAS = 4 };
enum { BML_HADRON_SYNCHROTRON_LIGHT = 8 };

typedef struct bml_hadron_source {
    double R;           /* radius [cm], 1e8 ... 1e22; required */
    double B;           /* magnetic field [G], 1e-8 ... 1e6; required */
    double gamma_min;   /* lowest injected Lorentz factor of protons, 1 ... 1e12; required */
    double gamma_max;   /* highest, > gamma_min, <= 1e12; required */
    double compactness; /* injection compactness l_p (2), 1e-20 ... 1e3; or */
    double L_p;         /* injected power, blob frame [erg s^-1]: one of the two is required, both are an error */
    double p;           /* index of the injected protons, -10 ... 10; 0 means 0 */
    double escape;      /* escape time of protons [R/c], 1e-3 ... 1e6; 0 = 1 */
    double gas;         /* density of cold protons at rest in the blob [cm^-3], 0 ... 1e20; 0 means 0 */
    bml_hadron_injection injection; /* shape of the injection; 0 = power law */
    double gamma_break;             /* BROKEN, LOG_PARABOLA, CUTOFF: see there, 1 ... 1e14; required by these */
    double p2;                      /* BROKEN: index above gamma_break, -10 ... 10; 0 means 0 */
    double curvature;               /* LOG_PARABOLA: -10 ... 10; 0 means 0 */
    int off;                        /* sum of processes that are switched off */
    int cooling;                    /* 1: pions and muons shine before they decay (11) */
    int neutrons;                   /* 1: neutrons leave (12), 0: they count as protons */
} bml_hadron_source;

/* The top of the grids of electrons and photons that go with these protons, for bml_ssc_source.gamma_top: at least
   gamma_max of the electrons and 0.6 M gamma_max of the protons, on a common lattice with the latter; at most 1e15.
   spacing [dex]: that of the tables; 0 = 0.1. */
BML_HADRON_DEF double bml_hadron_gamma_top(double gamma_max, double electron_gamma_max, double spacing);

/* Empties the blob and makes it this source, at t = 0. The source is copied.
   Errors: BAD_ARGUMENT, PARAMETER, ORDER, SPECTRUM; bml_hadron_message names member, value and range. */
BML_HADRON_DEF int bml_hadron_begin(bml_hadron_blob *blob, const bml_hadron_source *source);

/* What the code beside it shows of electrons and photons, and takes from protons: see Setup. Grids are logarithmic, of
   the tables' spacing, x and gamma on a common lattice; densities are times sigma_T R0 and count the whole blob. */
typedef struct bml_hadron_field {
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
    const double *x;       /* [n_photons] nodes */
    const double *n;       /* [n_photons] photons per x, of the pass before */
    const double *outside; /* [n_photons] photons from outside, not diluted; NULL: none */
    double *electrons;     /* [n_electrons] added to: electrons and positrons made, per gamma and R/c */
    double *photons;       /* [n_photons] added to: photons made, per x and R/c */
} bml_hadron_field;

/* Takes the protons from t - dt to t in these photons, and adds what they make. The passes of a step start from the
   same state. Errors: BAD_ARGUMENT, TIME, GRID, PARAMETER (photons that are NaN or negative). */
BML_HADRON_DEF int bml_hadron_exchange(bml_hadron_blob *blob, const bml_hadron_field *field);

/* Protons and photons as tables, log-log interpolation, zero outside. */
typedef struct bml_hadron_given {
    const double *gamma; /* [n_gamma] growing, 1 ... 1e13 */
    const double *N;     /* [n_gamma] protons per gamma [cm^-3], >= 0 */
    const double *x;     /* [n_x] growing, 1e-24 ... 1e15; may be NULL */
    const double *n;     /* [n_x] photons per x [cm^-3], >= 0; may be NULL */
    int n_gamma;
    int n_x;
    double B;   /* magnetic field [G], for proton synchrotron light; 0 = none */
    double gas; /* density of cold protons [cm^-3]; 0 = none */
} bml_hadron_given;

/* What these protons make in these photons, per cm^3 and second: bml_hadron_spectrum and bml_hadron_losses read it.
   Errors: BAD_ARGUMENT, PARAMETER, SPECTRUM. */
BML_HADRON_DEF int bml_hadron_rates(bml_hadron_blob *blob, const bml_hadron_given *given);

/* What went wrong last in this blob, naming the parameter; "" if nothing. Lives as long as the blob. */
BML_HADRON_DEF const char *bml_hadron_message(const bml_hadron_blob *blob);

/* ---- API: what comes out ---------------------------------------------------------------------------------------- */

typedef enum bml_hadron_species {
    BML_HADRON_GAMMA, /* photons of pi0 */
    BML_HADRON_POSITRON,
    BML_HADRON_ANTI_NU_MU,
    BML_HADRON_NU_MU,
    BML_HADRON_NU_E,
    BML_HADRON_ELECTRON,
    BML_HADRON_ANTI_NU_E,
    BML_HADRON_BETHE_HEITLER, /* electrons and positrons of (5) */
    BML_HADRON_SYNCHROTRON,   /* photons of (7) */
    BML_HADRON_NEUTRINOS,     /* all four */
    BML_HADRON_NEUTRON,       /* that leave (12) */
    BML_HADRON_SPECIES
} bml_hadron_species;

/* log10(E^2 Q) of a species at log10_e, energy over m_e c^2; -HUGE_VAL where there is none. Q: made per energy, per
   volume, and per R/c, times sigma_T R; after bml_hadron_rates per cm^3 and second. Straight lines in log-log.
   log10_e2Q [n] out; log10_e [n] in. Thread safe on a blob at rest. Errors: BAD_ARGUMENT, TIME (nothing there). */
BML_HADRON_DEF int bml_hadron_spectrum(double *log10_e2Q, const double *log10_e, int n, const bml_hadron_blob *blob,
                                       bml_hadron_species species);

/* log10(gamma^2 N) of the protons at log10_gamma. Arguments and errors as bml_hadron_spectrum. */
BML_HADRON_DEF int bml_hadron_protons(double *log10_g2N, const double *log10_gamma, int n, const bml_hadron_blob *blob);

/* Loss rates |gamma_dot|/gamma of protons at log10_gamma, by process; per R/c, or per second after bml_hadron_rates.
   rate [n] out; log10_gamma [n] in; process: one of BML_HADRON_PHOTOPION, PAIRS, GAS, SYNCHROTRON_LIGHT. */
BML_HADRON_DEF int bml_hadron_losses(double *rate, const double *log10_gamma, int n, const bml_hadron_blob *blob,
                                     int process);

typedef struct bml_hadron_observer {
    double redshift; /* z > 0, or distance > 0 */
    double delta;    /* Doppler factor; 0 = 1 */
    double H0;       /* [km s^-1 Mpc^-1]; 0 = 70 */
    double omega_m;  /* flat LambdaCDM; 0 = 0.3 */
    double distance; /* luminosity distance [cm]; 0 = from redshift, H0, omega_m */
    int flavours;    /* 0 = mixed on the way (10), 1 = 1:1:1, 2 = as at the source */
} bml_hadron_observer;

/* E^2 dN/dE [GeV cm^-2 s^-1] of neutrinos and antineutrinos together, by flavour, at the observer.
   flux [3][n] out: nu_e, nu_mu, nu_tau; log10_GeV [n] in. Thread safe on a blob at rest, not after bml_hadron_rates.
   Errors: BAD_ARGUMENT, TIME, PARAMETER (the observer). */
BML_HADRON_DEF int bml_hadron_neutrinos(double *flux, const double *log10_GeV, int n, const bml_hadron_blob *blob,
                                        const bml_hadron_observer *observer);

/* Effective area of a telescope, straight lines in log-log, zero outside. */
typedef struct bml_hadron_area {
    const double *log10_GeV; /* [n] growing */
    const double *cm2;       /* [n] >= 0, for nu_mu and anti-nu_mu */
    int n;
} bml_hadron_area;

/* Expected number of muon-neutrino events in `seconds` of a source that stays as it is: int F A dE T.
   Errors: as bml_hadron_neutrinos, PARAMETER. */
BML_HADRON_DEF int bml_hadron_events(double *events, const bml_hadron_area *area, double seconds,
                                     const bml_hadron_blob *blob, const bml_hadron_observer *observer);

/* ln of the Poisson probability of n events where `expected` are: the neutrinos' term of a likelihood. -HUGE_VAL where
   none are expected and some seen; NaN for n < 0 or expected that is negative or NaN. */
BML_HADRON_DEF double bml_hadron_log_poisson(int n, double expected);

/* Energy since bml_hadron_begin, as energy density times sigma_T R/(m_e c^2), as bml_ssc_balance has it. What was
   injected is the sum of the others, but for the discretisation: residual is the part of it that is missing. */
typedef struct bml_hadron_balance {
    double injected;
    double protons;   /* still stored */
    double escaped;   /* protons that left */
    double photons;   /* given to photons */
    double pairs;     /* given to electrons and positrons */
    double neutrinos; /* gone with neutrinos */
    double neutrons;  /* gone with neutrons */
    double cooled;    /* through gamma = 1: rest masses */
    double expansion; /* work done by expanding */
    double lost;      /* made outside of the given grids */
    double residual;  /* relative; 0 is perfect */
} bml_hadron_balance;
/* Thread safe on a blob at rest. Errors: BAD_ARGUMENT, TIME. */
BML_HADRON_DEF int bml_hadron_energy(bml_hadron_balance *out, const bml_hadron_blob *blob);

/* Numbers that papers quote, at the present time, blob frame. */
typedef struct bml_hadron_derived {
    double U_p;          /* energy density of protons [erg cm^-3] */
    double L_injected;   /* injected power [erg s^-1] */
    double L_photons;    /* of pi0 photons and proton synchrotron light [erg s^-1] */
    double L_pairs;      /* of pairs made [erg s^-1] */
    double L_neutrinos;  /* [erg s^-1] */
    double efficiency;   /* share of the injected power that goes into photons, pairs and neutrinos */
    double gamma_max_B;  /* gamma that the blob can confine: e B R/(m_p c^2) */
    double muon_cooling; /* loss rate by synchrotron over decay rate of muons with half of x_+ of gamma_max, or of the
                            cut-off: below 0.1 neutrino spectra are right; its root for pions is 18 times smaller */
} bml_hadron_derived;
BML_HADRON_DEF int bml_hadron_derive(bml_hadron_derived *out, const bml_hadron_blob *blob);

#ifdef __cplusplus
}
#endif

/* ---- end of API ------------------------------------------------------------------------------------------------ */
#endif /* BML_HADRON_H */

#if defined(BML_HADRON_IMPLEMENTATION) && !defined(BML_HADRON_IMPLEMENTED)
#define BML_HADRON_IMPLEMENTED

/* Contents: search for ">> name".
   >> status and memory   statuses, messages, rules of members, the allocator
   >> photopions          tables and spectra of Kelner & Aharonian
   >> pairs               Bethe-Heitler cross section
   >> gas                 proton-proton spectra
   >> tables              what does not depend on the source
   >> blobs               the workspace of one source
   >> source              checks, injection
   >> lattice             grids, the kernels of this source
   >> emission            what protons make
   >> time                losses, steps, the energy book
   >> plain arrays        rates of given protons and photons
   >> output              spectra, neutrinos at Earth, energy */

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "bml_hadron.h: compile this file without -ffast-math and -Ofast (in gcc and clang: add -fno-fast-math)"
#endif
#include <float.h>
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16 && FLT_EVAL_METHOD != 1
#error "bml_hadron.h: doubles must not be kept in wider registers (i386: -msse2 -mfpmath=sse; s390x: -std=gnu99)"
#endif
#if defined(BML_HADRON_MALLOC) != defined(BML_HADRON_FREE)
#error "define BML_HADRON_MALLOC and BML_HADRON_FREE both, or none"
#endif
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#ifndef BML_HADRON_MALLOC
#include <stdlib.h>
#define BML_HADRON_MALLOC(n) malloc(n)
#define BML_HADRON_FREE(p) free(p)
#define BML_HADRON__OWN_MALLOC
#endif
#if defined(__GNUC__) || defined(__clang__)
#define BML_HADRON__RESTRICT __restrict__
#else
#define BML_HADRON__RESTRICT
#endif

/* Single precision in vectors, for the one loop that costs most: gcc's and clang's vectors, or an array that other
   compilers may keep in registers. */
#if defined(__GNUC__) || defined(__clang__)
#ifdef __AVX__
typedef float bml_hadron__lanes __attribute__((vector_size(32)));
#else
typedef float bml_hadron__lanes __attribute__((vector_size(16)));
#endif
#define BML_HADRON__ADD(sum, w, add) (sum) += (w) * (add)
#else
typedef struct bml_hadron__lanes {
    float v[8];
} bml_hadron__lanes;
#define BML_HADRON__ADD(sum, w, add)     \
    for (int lane = 0; lane < 8; lane++) \
    (sum).v[lane] += (w) * (add).v[lane]
#endif
#define BML_HADRON__LANES ((int)(sizeof(bml_hadron__lanes) / sizeof(float)))
#define BML_HADRON__ROWS (2 * BML_HADRON__LANES)
#define BML_HADRON__GROUP 4  /* protons that share each load of a kernel */
#define BML_HADRON__MARGIN 8 /* zeros on either side of padded targets */

/* Physical constants, cgs (CODATA 2018). */
#define BML_HADRON__PI 3.14159265358979323846
#define BML_HADRON__LN10 2.30258509299404568402
#define BML_HADRON__LN2 0.69314718055994530942
#define BML_HADRON__C 2.99792458e10
#define BML_HADRON__MC2 8.1871057769e-7
#define BML_HADRON__SIGMA_T 6.6524587321e-25
#define BML_HADRON__E 4.80320471e-10
#define BML_HADRON__B_CRIT 4.41400519e13
#define BML_HADRON__M 1836.15267343        /* proton over electron */
#define BML_HADRON__GEV (1e3 / 0.51099895) /* in m_e c^2 */
#define BML_HADRON__TEV (1e6 / 0.51099895) /* in m_e c^2 */
#define BML_HADRON__ERG_PER_GEV 1.602176634e-3
#define BML_HADRON__MPC 3.0856775814913673e24

#define BML_HADRON__MIN(a, b) ((a) < (b) ? (a) : (b))
#define BML_HADRON__MAX(a, b) ((a) > (b) ? (a) : (b))

/* Index conventions. One lattice: cell c has the energy exp(lx0 + h c), for photons, electrons and neutrinos, and for
   the protons, cell p0 + i for proton i (energy M gamma). A proton that meets photons of cell k makes particles of cell
   p0 + i - m with the row m of a table; its column follows from the product of the two energies, i + k:
       ln eta or ln w = const + h (i + k),  tabulated at FINE steps of h and interpolated once per source.
   Entries are energies: the share of the proton's that goes into the cell, per photon and R/c. */

#define BML_HADRON__FINE 4
enum { BML_HADRON__CELLS = 800 }; /* of the finest lattice */
#define BML_HADRON__LOG_X_LOW (-24.0)
#define BML_HADRON__LOG_TOP 15.4 /* M 1e12, and a cell */
#define BML_HADRON__LOG_GAMMA_HIGH 12.0
#define BML_HADRON__W_HIGH 1e5    /* beyond this w pairs keep their spectrum */
#define BML_HADRON__ZETA_LOW 1e-5 /* pairs are followed for zeta between these */
#define BML_HADRON__ZETA_HIGH 1e4
#define BML_HADRON__X_LOW 1e-4   /* below this share of the proton's energy photopion products are flat, (4) */
#define BML_HADRON__GAS_LOW 1e-5 /* products of gas from this share on */
#define BML_HADRON__Y_LOW 1e-8   /* synchrotron light between these y = x/x_c */
#define BML_HADRON__Y_HIGH 60.0
#define BML_HADRON__QUICK 1e6    /* brings the shares of single precision near 1 */
#define BML_HADRON__GAS_NODES 24 /* in ln E from 0.1 TeV to 1e5 TeV */

/* Kernels: the seven species of (3) in the order of bml_hadron_species, pairs of (5), electrons and positrons of (3)
   together. */
enum { BML_HADRON__PION_SPECIES = 7 };
enum { BML_HADRON__BH = 7 };
enum { BML_HADRON__BOTH = 8 };
enum { BML_HADRON__KERNELS = 9 };
enum { BML_HADRON__GAS_GAMMA, BML_HADRON__GAS_DIRECT, BML_HADRON__GAS_MUON, BML_HADRON__GAS_KINDS };
enum { BML_HADRON__PHOTOPION, BML_HADRON__PAIRS, BML_HADRON__GAS, BML_HADRON__SYN, BML_HADRON__PROCESSES };

/* One family of tables: photopions, or pairs. */
typedef struct bml_hadron__family {
    double low; /* ln eta or ln w of the first column */
    int cols;
    int rows;
    int lead;  /* the first row is m = lead */
    int lines; /* FINE cols + 1 */
} bml_hadron__family;

struct bml_hadron {
    double h;
    bml_hadron__family pion, pair;
    int gas_rows;
    double *share[BML_HADRON__BH + 1];  /* [lines][rows] averaged over the width of a column */
    double *gas[BML_HADRON__GAS_KINDS]; /* [GAS_NODES][gas_rows] */
    double *memory;
};

typedef struct bml_hadron__kernel {
    double *value; /* [cols][rows] */
    float *quick;  /* [cols][pad] the same over e^(h column), for targets times their energy */
    int cols;
    int rows;
    int lead;
    int pad;  /* rows, to a multiple of 16 */
    int base; /* column of proton 0 and photon 0 */
} bml_hadron__kernel;

/* Three points in time of one quantity, for the two-step formula BDF2. */
typedef struct bml_hadron__ledger {
    double now;
    double last;
    double before;
} bml_hadron__ledger;

enum {
    BML_HADRON__INJECTED,
    BML_HADRON__ESCAPED,
    BML_HADRON__TO_PHOTONS,
    BML_HADRON__TO_PAIRS,
    BML_HADRON__TO_NEUTRINOS,
    BML_HADRON__TO_NEUTRONS,
    BML_HADRON__COOLED,
    BML_HADRON__WORK,
    BML_HADRON__LOST,
    BML_HADRON__LEDGERS
};

struct bml_hadron_blob {
    const bml_hadron *tab;
    bml_hadron_source src; /* defaults resolved */
    char message[BML_HADRON_MESSAGE];
    int started; /* 1: begun, 2: with a lattice, 3: plain arrays */
    double t;
    double t_last;
    double dt;
    double dt_last;
    double ln_R[2]; /* now, a step before */
    double B_now;
    double a0; /* of BDF2, as the next two */
    double a1;
    double a2;
    int steps;

    double lx0; /* the lattice */
    int cells;
    int n_protons;
    int p0; /* cell of the first proton */
    int n_photons;
    int n_electrons;
    int e0;        /* cell of the first electron */
    double *gamma; /* [max protons], as those below */
    double *width;
    double *Q;
    double *M; /* protons of a cell: now, a step before, two before */
    double *M1;
    double *M2;
    double *S;
    double *rate;
    double *work;
    double *turn;                           /* rate into neutrons */
    double *process[BML_HADRON__PROCESSES]; /* [max protons] loss rates */
    double *P;                              /* [max cells] target photons of a cell */
    double *suffix;                         /* [max cells] those from it on */
    float *padded;                          /* [max cells + 2 MARGIN] P x/peak between zeros */
    double peak;
    double *light; /* [max cells] energy made, by the last pass */
    double *pairs;
    double *line; /* synchrotron light by k - 2 i */
    int line_n;
    int line_base;
    bml_hadron__kernel kernel[BML_HADRON__KERNELS];
    double *column_loss[2];             /* [cols] of photopions and pairs */
    double *column_turn;                /* [cols] rate at which protons become neutrons */
    double *gas[BML_HADRON__GAS_KINDS]; /* [max protons][gas_rows] */
    double gas_now;                     /* times sigma_T R */
    double l_B;
    double unit; /* of rates: 1, or what makes them per cm^3 and s */
    bml_hadron__ledger ledger[BML_HADRON__LEDGERS];
    double *memory;
};

/* >> status and memory -----------------------------------------------------------------------------------------------
   What has a reason to give goes through bml_hadron__fail. An object and its arrays are blocks cut up by
   bml_hadron__take. Sizes are below 1e5: counts and indices are int, and ptrdiff_t where two are multiplied. */

BML_HADRON_DEF const char *bml_hadron_strerror(int status) {
#define BML_HADRON__CASE(name, value, text) \
    if (status == value) return text;
    BML_HADRON_STATUS_TABLE(BML_HADRON__CASE)
#undef BML_HADRON__CASE
    return "unknown status";
}

/* A locale's decimal comma becomes a point: no text of ours has a comma between digits. */
static void bml_hadron__mend_commas(char *text) {
    for (char *c = text; c[0] && c[1] && c[2]; c++) {
        int digit_before = c[0] >= '0' && c[0] <= '9';
        int digit_after = c[2] >= '0' && c[2] <= '9';
        if (c[1] == ',' && digit_before && digit_after) {
            c[1] = '.';
        }
    }
}

/* Writes the message, if there is room for one, and hands the status through: return bml_hadron__fail(...). */
static int bml_hadron__fail(char *message, int status, const char *format, ...) {
    if (!message) {
        return status;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(message, BML_HADRON_MESSAGE, format, args);
    va_end(args);
    bml_hadron__mend_commas(message);
    return status;
}

/* The reason of a failed create; "" without one. */
static int bml_hadron__say(char *why, int status) {
    return bml_hadron__fail(why, status, "%s", status ? bml_hadron_strerror(status) : "");
}

/* A member of a struct, its range, and what zero means: an error, the default, or zero. */
typedef struct bml_hadron__rule {
    const char *name;
    size_t offset; /* in the struct */
    double lo;
    double hi;
    double fallback;
    int zero; /* what it means: */
} bml_hadron__rule;
enum { BML_HADRON__REQUIRED, BML_HADRON__DEFAULT, BML_HADRON__ZERO };

/* Puts defaults in and checks ranges; NaN fails every rule. */
static int bml_hadron__apply_rules(void *object, const bml_hadron__rule *rules, int n, char *message, int status) {
    for (int i = 0; i < n; i++) {
        const bml_hadron__rule *rule = &rules[i];
        double value;
        char *member = (char *)object + rule->offset;
        memcpy(&value, member, sizeof value);
        const char *required = "";
        if (value == 0 && rule->zero == BML_HADRON__ZERO) {
            continue;
        }
        if (value == 0 && rule->zero == BML_HADRON__REQUIRED) {
            required = "required, ";
        }
        if (value == 0 && rule->zero == BML_HADRON__DEFAULT) {
            memcpy(member, &rule->fallback, sizeof value);
            continue;
        }
        if (!*required && value >= rule->lo && value <= rule->hi) {
            continue;
        }
        return bml_hadron__fail(message, status, "%s = %.10g: %smust be in [%.10g, %.10g]", rule->name, value, required,
                                rule->lo, rule->hi);
    }
    return BML_HADRON_OK;
}

/* Bump allocator over one block of doubles, by eights: pass base = NULL to count. */
static double *bml_hadron__take(double *base, ptrdiff_t *used, ptrdiff_t n) {
    double *p = base ? base + *used : NULL;
    *used += (n + 7) / 8 * 8;
    return p;
}

/* n doubles, all zero; NULL without memory. */
static double *bml_hadron__doubles(ptrdiff_t n) {
    size_t bytes = (size_t)n * sizeof(double);
    double *p = (double *)BML_HADRON_MALLOC(bytes);
    if (p) {
        memset(p, 0, bytes);
    }
    return p;
}

static void bml_hadron__clear(double *a, ptrdiff_t n) {
    memset(a, 0, (size_t)n * sizeof *a);
}

static void bml_hadron__swap(double **a, double **b) {
    double *c = *a;
    *a = *b;
    *b = c;
}

static int bml_hadron__floor(double v) {
    return (int)floor(v);
}

static int bml_hadron__clamp(int v, int lo, int hi) {
    return v < lo ? lo : BML_HADRON__MIN(v, hi);
}

/* >> photopions ------------------------------------------------------------------------------------------------------
   Kelner & Aharonian (2008). Written for clarity; they only fill tables. */

#define BML_HADRON__R 0.146 /* pion over proton mass, as in the paper */
#define BML_HADRON__ETA_0 0.313
#define BML_HADRON__RHO_HIGH 100.0
#define BML_HADRON__TWO_PIONS 2.14 /* eta/eta_0 at the threshold of two pions */

/* Tables I-III: eta/eta_0, then s, delta, B [cm^3 s^-1]. */
typedef struct bml_hadron__row {
    double rho;
    double s;
    double delta;
    double B;
} bml_hadron__row;

/* clang-format off */
static const bml_hadron__row bml_hadron__gamma[] = {
    {1.1, 0.0768, 0.544, 2.86e-19},
    {1.2, 0.106, 0.540, 2.24e-18},
    {1.3, 0.182, 0.750, 5.61e-18},
    {1.4, 0.201, 0.791, 1.02e-17},
    {1.5, 0.219, 0.788, 1.60e-17},
    {1.6, 0.216, 0.831, 2.23e-17},
    {1.7, 0.233, 0.839, 3.10e-17},
    {1.8, 0.233, 0.825, 4.07e-17},
    {1.9, 0.248, 0.805, 5.30e-17},
    {2.0, 0.244, 0.779, 6.74e-17},
    {3.0, 0.188, 1.23, 1.51e-16},
    {4.0, 0.131, 1.82, 1.24e-16},
    {5.0, 0.120, 2.05, 1.37e-16},
    {6.0, 0.107, 2.19, 1.62e-16},
    {7.0, 0.102, 2.23, 1.71e-16},
    {8.0, 0.0932, 2.29, 1.78e-16},
    {9.0, 0.0838, 2.37, 1.84e-16},
    {10.0, 0.0761, 2.43, 1.93e-16},
    {20.0, 0.107, 2.27, 4.74e-16},
    {30.0, 0.0928, 2.33, 7.70e-16},
    {40.0, 0.0772, 2.42, 1.06e-15},
    {100.0, 0.0479, 2.59, 2.73e-15},
};
static const bml_hadron__row bml_hadron__positron[] = {
    {1.1, 0.367, 3.12, 8.09e-19},
    {1.2, 0.282, 2.96, 7.70e-18},
    {1.3, 0.260, 2.83, 2.05e-17},
    {1.4, 0.239, 2.76, 3.66e-17},
    {1.5, 0.224, 2.69, 5.48e-17},
    {1.6, 0.207, 2.66, 7.39e-17},
    {1.7, 0.198, 2.62, 9.52e-17},
    {1.8, 0.193, 2.56, 1.20e-16},
    {1.9, 0.187, 2.52, 1.47e-16},
    {2.0, 0.181, 2.49, 1.75e-16},
    {3.0, 0.122, 2.48, 3.31e-16},
    {4.0, 0.106, 2.50, 4.16e-16},
    {5.0, 0.0983, 2.46, 5.57e-16},
    {6.0, 0.0875, 2.46, 6.78e-16},
    {7.0, 0.0830, 2.44, 7.65e-16},
    {8.0, 0.0783, 2.44, 8.52e-16},
    {9.0, 0.0735, 2.45, 9.17e-16},
    {10.0, 0.0644, 2.50, 9.57e-16},
    {30.0, 0.0333, 2.77, 3.07e-15},
    {100.0, 0.0224, 2.86, 1.58e-14},
};
static const bml_hadron__row bml_hadron__anti_nu_mu[] = {
    {1.1, 0.365, 3.09, 8.09e-19},
    {1.2, 0.287, 2.96, 7.70e-18},
    {1.3, 0.250, 2.89, 1.99e-17},
    {1.4, 0.238, 2.76, 3.62e-17},
    {1.5, 0.220, 2.71, 5.39e-17},
    {1.6, 0.206, 2.67, 7.39e-17},
    {1.7, 0.197, 2.62, 9.48e-17},
    {1.8, 0.193, 2.56, 1.20e-16},
    {1.9, 0.187, 2.52, 1.47e-16},
    {2.0, 0.178, 2.51, 1.74e-16},
    {3.0, 0.123, 2.48, 3.38e-16},
    {4.0, 0.106, 2.56, 5.17e-16},
    {5.0, 0.0944, 2.57, 7.61e-16},
    {6.0, 0.0829, 2.58, 9.57e-16},
    {7.0, 0.0801, 2.54, 1.11e-15},
    {8.0, 0.0752, 2.53, 1.25e-15},
    {9.0, 0.0680, 2.56, 1.36e-15},
    {10.0, 0.0615, 2.60, 1.46e-15},
    {30.0, 0.0361, 2.78, 5.87e-15},
    {100.0, 0.0228, 2.88, 3.10e-14},
};
static const bml_hadron__row bml_hadron__nu_mu[] = {
    {1.1, 0.0, 0.0, 1.08e-18},
    {1.2, 0.0778, 0.306, 9.91e-18},
    {1.3, 0.242, 0.792, 2.47e-17},
    {1.4, 0.377, 1.09, 4.43e-17},
    {1.5, 0.440, 1.06, 6.70e-17},
    {1.6, 0.450, 0.953, 9.04e-17},
    {1.7, 0.461, 0.956, 1.18e-16},
    {1.8, 0.451, 0.922, 1.32e-16},
    {1.9, 0.464, 0.912, 1.77e-16},
    {2.0, 0.446, 0.940, 2.11e-16},
    {3.0, 0.366, 1.49, 3.83e-16},
    {4.0, 0.249, 2.03, 5.09e-16},
    {5.0, 0.204, 2.18, 7.26e-16},
    {6.0, 0.174, 2.24, 9.26e-16},
    {7.0, 0.156, 2.28, 1.07e-15},
    {8.0, 0.140, 2.32, 1.19e-15},
    {9.0, 0.121, 2.39, 1.29e-15},
    {10.0, 0.107, 2.46, 1.40e-15},
    {30.0, 0.0705, 2.53, 5.65e-15},
    {100.0, 0.0463, 2.62, 3.01e-14},
};
static const bml_hadron__row bml_hadron__nu_e[] = {
    {1.1, 0.768, 2.49, 9.43e-19},
    {1.2, 0.569, 2.35, 9.22e-18},
    {1.3, 0.491, 2.41, 2.35e-17},
    {1.4, 0.395, 2.45, 4.20e-17},
    {1.5, 0.31, 2.45, 6.26e-17},
    {1.6, 0.323, 2.43, 8.57e-17},
    {1.7, 0.305, 2.40, 1.13e-16},
    {1.8, 0.285, 2.39, 1.39e-16},
    {1.9, 0.270, 2.37, 1.70e-16},
    {2.0, 0.259, 2.35, 2.05e-16},
    {3.0, 0.158, 2.42, 3.81e-16},
    {4.0, 0.129, 2.46, 4.74e-16},
    {5.0, 0.113, 2.45, 6.30e-16},
    {6.0, 0.0996, 2.46, 7.65e-16},
    {7.0, 0.0921, 2.46, 8.61e-16},
    {8.0, 0.0861, 2.45, 9.61e-16},
    {9.0, 0.0800, 2.47, 1.03e-15},
    {10.0, 0.0723, 2.51, 1.10e-15},
    {30.0, 0.0411, 2.70, 3.55e-15},
    {100.0, 0.0283, 2.77, 1.86e-14},
};
static const bml_hadron__row bml_hadron__electron[] = {
    {3.0, 0.658, 3.09, 6.43e-19},
    {4.0, 0.348, 2.81, 9.91e-18},
    {5.0, 0.286, 2.39, 1.24e-16},
    {6.0, 0.256, 2.27, 2.67e-16},
    {7.0, 0.258, 2.13, 3.50e-16},
    {8.0, 0.220, 2.20, 4.03e-16},
    {9.0, 0.217, 2.13, 4.48e-16},
    {10.0, 0.192, 2.19, 4.78e-16},
    {30.0, 0.125, 2.27, 1.64e-15},
    {100.0, 0.0507, 2.63, 4.52e-15},
};
static const bml_hadron__row bml_hadron__anti_nu_e[] = {
    {3.0, 0.985, 2.63, 6.61e-19},
    {4.0, 0.378, 2.98, 9.74e-18},
    {5.0, 0.31, 2.31, 1.34e-16},
    {6.0, 0.327, 2.11, 2.91e-16},
    {7.0, 0.308, 2.03, 3.81e-16},
    {8.0, 0.292, 1.98, 4.48e-16},
    {9.0, 0.260, 2.02, 4.83e-16},
    {10.0, 0.233, 2.07, 5.13e-16},
    {30.0, 0.135, 2.24, 1.75e-15},
    {100.0, 0.0770, 2.40, 5.48e-15},
};
/* clang-format on */

static const bml_hadron__row *const bml_hadron__tables[] = {
    bml_hadron__gamma, bml_hadron__positron, bml_hadron__anti_nu_mu, bml_hadron__nu_mu,
    bml_hadron__nu_e,  bml_hadron__electron, bml_hadron__anti_nu_e};
static const int bml_hadron__table_rows[] = {22, 20, 20, 20, 20, 10, 10};

/* Slope of ln B in ln rho between rows i and i + 1. */
static double bml_hadron__secant(const bml_hadron__row *row, int i) {
    return log(row[i + 1].B / row[i].B) / log(row[i + 1].rho / row[i].rho);
}

/* van Leer's limited difference: second order where smooth, 0 at extrema and edges. */
static double bml_hadron__limited(double a, double b) {
    return a * b > 0 ? 2 * a * b / (a + b) : 0;
}

/* ln B at w of the way from row i to row i + 1: a monotone cubic, since rows are far apart where the Delta resonance
   ends. */
static double bml_hadron__ln_B(const bml_hadron__row *row, int n, int i, double w) {
    double here = bml_hadron__secant(row, i);
    double left = i > 0 ? bml_hadron__limited(bml_hadron__secant(row, i - 1), here) : here;
    double right = i < n - 2 ? bml_hadron__limited(here, bml_hadron__secant(row, i + 1)) : here;
    double step = log(row[i + 1].rho / row[i].rho);
    double v = 1 - w;
    double rise = w * w * (3 - 2 * w) * here + w * v * v * left - w * w * v * right;
    return log(row[i].B) + step * rise;
}

/* s, delta and B at rho: s and delta linear in ln rho; B falls linearly to 0 at the threshold. */
static bml_hadron__row bml_hadron__row_at(int species, double rho) {
    const bml_hadron__row *row = bml_hadron__tables[species];
    int n = bml_hadron__table_rows[species];
    double threshold = species >= BML_HADRON_ELECTRON ? BML_HADRON__TWO_PIONS : 1;
    bml_hadron__row out = row[0];
    out.rho = rho;
    if (rho <= row[0].rho) {
        out.B *= BML_HADRON__MAX(0.0, (rho - threshold) / (row[0].rho - threshold));
        return out;
    }
    int i = 0;
    while (i < n - 2 && rho > row[i + 1].rho)
        i++;
    double w = log(rho / row[i].rho) / log(row[i + 1].rho / row[i].rho);
    w = BML_HADRON__MIN(w, 1.0);
    out.s = row[i].s + w * (row[i + 1].s - row[i].s);
    out.delta = row[i].delta + w * (row[i + 1].delta - row[i].delta);
    out.B = exp(bml_hadron__ln_B(row, n, i, w));
    return out;
}

/* x_- and x_+ of (4), of a pion: eqs. 19; of a negative pion beside another: eq. 40. */
static void bml_hadron__limits(double *lo, double *hi, int species, double rho) {
    double eta = rho * BML_HADRON__ETA_0;
    double r = BML_HADRON__R;
    double mid = eta + r * r;
    double wide = (eta - r * r - 2 * r) * (eta - r * r + 2 * r);
    if (species >= BML_HADRON_ELECTRON) {
        mid = eta - 2 * r;
        wide = eta * (eta - 4 * r * (1 + r));
    }
    wide = sqrt(BML_HADRON__MAX(wide, 0.0));
    *lo = (mid - wide) / (2 * (1 + eta));
    *hi = (mid + wide) / (2 * (1 + eta));
    switch (species) {
    case BML_HADRON_GAMMA: break;
    case BML_HADRON_NU_MU:
        *lo *= 0.427;
        if (rho < BML_HADRON__TWO_PIONS) {
            *hi *= 0.427;
        } else if (rho < 10) {
            *hi *= 0.427 + 0.0729 * (rho - BML_HADRON__TWO_PIONS);
        }
        break;
    case BML_HADRON_ELECTRON:
    case BML_HADRON_ANTI_NU_E: *lo /= 2; break;
    default: *lo /= 4; break;
    }
}

static double bml_hadron__psi(int species, double rho) {
    if (species == BML_HADRON_GAMMA) {
        return 2.5 + 0.4 * log(rho);
    }
    if (species < BML_HADRON_ELECTRON) {
        return 2.5 + 1.4 * log(rho);
    }
    return rho > 4 ? 6 * (1 - exp(1.5 * (4 - rho))) : 0;
}

/* The share of the proton's energy that goes into products between x and x e^h, int x Phi dx [cm^3 s^-1], for all
   cells of x = e^(-h m), m < rows: out [rows]. */
static void bml_hadron__photopion(double *out, int species, double rho, double h, int rows) {
    const int points = 8;
    bml_hadron__row row = bml_hadron__row_at(species, BML_HADRON__MIN(rho, BML_HADRON__RHO_HIGH));
    double lo;
    double hi;
    bml_hadron__limits(&lo, &hi, species, row.rho);
    double psi = bml_hadron__psi(species, BML_HADRON__MAX(row.rho, 1.0));
    for (int m = 0; m < rows; m++) {
        double sum = 0;
        for (int i = 0; i < points && row.B > 0; i++) {
            double x = exp(-h * (m + (i + 0.5) / points - 0.5));
            double y = BML_HADRON__MAX(0.0, (x - lo) / (hi - lo));
            if (!(x < hi)) {
                continue;
            }
            double fall = x > lo ? pow(log(x / lo), row.delta) : 0;
            sum += x * x * exp(-row.s * fall) * pow(log(2 / (1 + y * y)), psi);
        }
        out[m] = row.B * sum * h / points;
    }
}

/* >> pairs -----------------------------------------------------------------------------------------------------------
   The cross section of Blumenthal (1970), eq. 10, in units of sigma_T, in the frame of the proton: photon energy w,
   electron E at cos theta = (E - zeta)/p, so that Delta = E - p cos theta = zeta, p^2 sin^2 theta = 2 zeta (E - E_min)
   with E_min = (zeta + 1/zeta)/2, and T^2 = p_+^2 + 2 w zeta. */

static double bml_hadron__blumenthal(double w, double E, double zeta) {
    const double alpha = 7.2973525693e-3;
    double E2 = E * E;
    double p2 = E2 - 1;
    double Ep = w - E; /* of the positron */
    double pp2 = Ep * Ep - 1;
    if (!(p2 > 0 && pp2 > 0)) {
        return 0;
    }
    double p = sqrt(p2);
    double pp = sqrt(pp2);
    double T2 = pp2 + 2 * w * zeta;
    double T = sqrt(T2);
    double sin2 = 2 * zeta * (E - 0.5 * (zeta + 1 / zeta)) / p2;
    double D = 1 / zeta;
    double D2 = D * D;
    double Y = 2 / p2 * log((E * Ep + p * pp + 1) / w);
    double y_plus = 2 / pp * log(Ep + pp);
    double delta_T = log((T + pp) * (T + pp) / (2 * w * zeta));

    double sum = -4 * sin2 * (2 * E2 + 1) / p2 * D2 * D2;
    sum += (5 * E2 - 2 * E * Ep + 3) / p2 * D2;
    sum += (p2 - w * w) / T2 * D2 + 2 * Ep / p2 * D - 2 * y_plus * D;
    double in_Y = 2 * E * sin2 * (3 * w + p2 * Ep) * D2 * D2;
    in_Y += (2 * E2 * (E2 + Ep * Ep) - 7 * E2 - 3 * E * Ep - Ep * Ep + 1) * D2;
    in_Y += w * (E2 - E * Ep - 1) * D;
    double in_T = 2 * D2 - 3 * w * D - w * (p2 - w * w) / T2 * D;
    sum += Y / (p * pp) * in_Y - delta_T / (pp * T) * in_T;
    double r02 = 3 / (8 * BML_HADRON__PI);
    return BML_HADRON__MAX(0.0, alpha * r02 * p * pp / (2 * w * w * w) * sum);
}

/* 8-point Gauss-Legendre rule on [-1, 1]: half the nodes. */
static const double bml_hadron__gauss_x[4] = {0.18343464249564980, 0.52553240991632899, 0.79666647741362674,
                                              0.96028985649753623};
static const double bml_hadron__gauss_w[4] = {0.36268378337836198, 0.31370664587788729, 0.22238103445337447,
                                              0.10122853629037626};
static double bml_hadron__node(int i) {
    return i & 1 ? bml_hadron__gauss_x[i % 8 / 2] : -bml_hadron__gauss_x[i % 8 / 2];
}

static double bml_hadron__weight(int i) {
    return bml_hadron__gauss_w[i % 8 / 2];
}

/* int dE/p W from E_min to w - 1: twice eight points in ln E. */
static double bml_hadron__inner(double w, double zeta) {
    double lo = 0.5 * (zeta + 1 / zeta);
    double hi = w - 1;
    if (!(hi > lo)) {
        return 0;
    }
    double quarter = 0.25 * log(hi / lo);
    double sum = 0;
    for (int i = 0; i < 16; i++) {
        double u = quarter * (bml_hadron__node(i) + (i < 8 ? 1 : 3));
        double E = lo * exp(u);
        double p = sqrt(BML_HADRON__MAX(E * E - 1, 1e-12));
        sum += quarter * bml_hadron__weight(i) * E / p * bml_hadron__blumenthal(w, E, zeta);
    }
    return sum;
}

/* >> gas -------------------------------------------------------------------------------------------------------------
   Kelner, Aharonian & Bugayov (2006); L = ln(E_p/TeV). */

/* Inelastic cross section [sigma_T], eq. 79; E_p over m_e c^2. */
static double bml_hadron__inelastic(double E_p) {
    double TeV = E_p / BML_HADRON__TEV;
    double threshold = 1.22e-3 / TeV;
    if (!(threshold < 1)) {
        return 0;
    }
    double L = log(TeV);
    double t2 = threshold * threshold;
    double cut = 1 - t2 * t2;
    return (34.3 + 1.88 * L + 0.25 * L * L) * cut * cut * 1e-27 / BML_HADRON__SIGMA_T;
}

/* B d/dx of ln x ((1 - x^beta)/(1 + k x^beta (1 - x^beta)))^4, eqs. 58 and 66. */
static double bml_hadron__gas_form(double x, double B, double beta, double k) {
    double v = pow(x, beta);
    double ln = log(x);
    double below = 1 + k * v * (1 - v);
    double form = (1 - v) / below;
    double slope = 1 / ln - 4 * beta * v / (1 - v) - 4 * k * beta * v * (1 - 2 * v) / below;
    return B * ln / x * form * form * form * form * slope;
}

/* F(x) of photons, of muon neutrinos of pions, and of what muons make (eqs. 58, 66, 62). */
static double bml_hadron__gas_spectrum(int kind, double x, double L) {
    if (kind == BML_HADRON__GAS_GAMMA) {
        double B = 1.30 + 0.14 * L + 0.011 * L * L;
        double beta = 1 / (1.79 + 0.11 * L + 0.008 * L * L);
        double k = 1 / (0.801 + 0.049 * L + 0.014 * L * L);
        return x < 1 ? bml_hadron__gas_form(x, B, beta, k) : 0;
    }
    if (kind == BML_HADRON__GAS_DIRECT) {
        double B = 1.75 + 0.204 * L + 0.010 * L * L;
        double beta = 1 / (1.67 + 0.111 * L + 0.0038 * L * L);
        double k = 1.07 - 0.086 * L + 0.002 * L * L;
        double y = x / 0.427;
        return y < 1 ? bml_hadron__gas_form(y, B, beta, k) : 0;
    }
    if (!(x < 1)) {
        return 0;
    }
    double ln = log(x);
    double B = 1 / (69.5 + 2.65 * L + 0.3 * L * L);
    double beta = 1 / sqrt(sqrt(0.201 + 0.062 * L + 0.00042 * L * L));
    double k = (0.279 + 0.141 * L + 0.0172 * L * L) / (0.3 + (2.3 + L) * (2.3 + L));
    double rise = 1 + k * ln * ln;
    double ln5 = -ln * ln * ln * ln * ln;
    return B * rise * rise * rise / (x * (1 + 0.3 / pow(x, beta))) * ln5;
}

/* Nodes of L. */
static double bml_hadron__gas_step(void) {
    return 6 * BML_HADRON__LN10 / (BML_HADRON__GAS_NODES - 1);
}

static double bml_hadron__gas_node(int i) {
    return -BML_HADRON__LN10 + i * bml_hadron__gas_step();
}

/* >> tables ----------------------------------------------------------------------------------------------------------
   Everything that does not depend on the source. Columns are averaged over their width: five lines of the finer lattice
   by the trapezoid rule. */

static void bml_hadron__shape_family(bml_hadron__family *f, double low, double high, int lead, int rows, double h) {
    f->low = low - h;
    f->cols = (int)ceil((high - low) / h) + 3;
    f->lines = BML_HADRON__FINE * f->cols + 1;
    f->lead = lead;
    f->rows = rows;
}

/* Shapes of all tables; base = NULL counts the doubles, otherwise cuts the block up. */
static ptrdiff_t bml_hadron__layout_tables(bml_hadron *tab, double *base) {
    double h = tab->h;
    ptrdiff_t used = 0;
    double ln_eta = log(BML_HADRON__ETA_0);
    int pion_rows = (int)(-log(BML_HADRON__X_LOW) / h) + 1;
    bml_hadron__shape_family(&tab->pion, ln_eta, ln_eta + log(BML_HADRON__RHO_HIGH), 0, pion_rows, h);
    int lead = bml_hadron__floor(log(BML_HADRON__M / BML_HADRON__ZETA_HIGH) / h);
    int last = bml_hadron__floor(log(BML_HADRON__M / BML_HADRON__ZETA_LOW) / h);
    bml_hadron__shape_family(&tab->pair, BML_HADRON__LN2, log(BML_HADRON__W_HIGH), lead, last - lead + 1, h);
    tab->gas_rows = (int)(-log(BML_HADRON__GAS_LOW) / h) + 1;
    for (int s = 0; s <= BML_HADRON__BH; s++) {
        const bml_hadron__family *f = s == BML_HADRON__BH ? &tab->pair : &tab->pion;
        tab->share[s] = bml_hadron__take(base, &used, (ptrdiff_t)f->lines * f->rows);
    }
    for (int kind = 0; kind < BML_HADRON__GAS_KINDS; kind++)
        tab->gas[kind] = bml_hadron__take(base, &used, (ptrdiff_t)BML_HADRON__GAS_NODES * tab->gas_rows);
    return used;
}

/* fine [lines + FINE][rows] from half a column before the first line on, into share [lines][rows]. */
static void bml_hadron__average(double *share, const double *fine, const bml_hadron__family *f) {
    for (int line = 0; line < f->lines; line++) {
        for (int m = 0; m < f->rows; m++) {
            double sum = 0;
            for (int j = 0; j <= BML_HADRON__FINE; j++) {
                double w = j == 0 || j == BML_HADRON__FINE ? 0.5 : 1;
                sum += w * fine[(line + j) * f->rows + m];
            }
            share[line * f->rows + m] = sum / BML_HADRON__FINE;
        }
    }
}

static void bml_hadron__fill_pions(bml_hadron *tab, double *fine) {
    const bml_hadron__family *f = &tab->pion;
    double step = tab->h / BML_HADRON__FINE;
    double unit = 1 / (BML_HADRON__C * BML_HADRON__SIGMA_T);
    for (int s = 0; s < BML_HADRON__PION_SPECIES; s++) {
        for (int line = 0; line < f->lines + BML_HADRON__FINE; line++) {
            double rho = exp(f->low + step * line - 0.5 * tab->h) / BML_HADRON__ETA_0;
            double *row = fine + line * f->rows;
            bml_hadron__photopion(row, s, rho, tab->h, f->rows);
            for (int m = 0; m < f->rows; m++)
                row[m] *= unit;
        }
        bml_hadron__average(tab->share[s], fine, f);
    }
}

/* (5): int zeta dN/dzeta dzeta over each row, over M; the integral over w' grows from line to line. */
static void bml_hadron__fill_pairs(bml_hadron *tab, double *fine) {
    const bml_hadron__family *f = &tab->pair;
    double step = tab->h / BML_HADRON__FINE;
    for (int m = 0; m < f->rows; m++) {
        double grown = 0; /* int dw' w' int dE/p W, with the row's integral over zeta */
        double before = 0;
        for (int line = 0; line < f->lines + BML_HADRON__FINE; line++) {
            double w = exp(f->low + step * line - 0.5 * tab->h);
            double here = 0;
            for (int i = 0; i < 2; i++) { /* two points of Gauss */
                double at = i ? 0.2886751345948129 : -0.2886751345948129;
                double zeta = BML_HADRON__M * exp(-tab->h * (f->lead + m + at));
                here += 0.5 * tab->h * zeta * zeta * w * w * bml_hadron__inner(w, zeta);
            }
            grown += 0.5 * step * (before + here);
            before = here;
            fine[line * f->rows + m] = 4 * grown / (w * w * BML_HADRON__M);
        }
    }
    bml_hadron__average(tab->share[BML_HADRON__BH], fine, f);
}

static void bml_hadron__fill_gas(bml_hadron *tab) {
    const int points = 8;
    double h = tab->h;
    for (int kind = 0; kind < BML_HADRON__GAS_KINDS; kind++) {
        for (int node = 0; node < BML_HADRON__GAS_NODES; node++) {
            double *row = tab->gas[kind] + node * tab->gas_rows;
            double L = bml_hadron__gas_node(node);
            for (int m = 0; m < tab->gas_rows; m++) {
                double sum = 0;
                for (int i = 0; i < points; i++) {
                    double x = exp(-h * (m + (i + 0.5) / points - 0.5));
                    sum += x * x * bml_hadron__gas_spectrum(kind, x, L);
                }
                row[m] = sum * h / points;
            }
        }
    }
}

BML_HADRON_DEF int bml_hadron_create(bml_hadron **out, const bml_hadron_config *config, char *why) {
    static const bml_hadron__rule rules[] = {
        {"spacing", offsetof(bml_hadron_config, spacing), 0.05, 0.2, 0.1, BML_HADRON__DEFAULT}};
    if (out) {
        *out = NULL;
    }
    if (!out) {
        return bml_hadron__say(why, BML_HADRON_BAD_ARGUMENT);
    }
    bml_hadron_config c;
    memset(&c, 0, sizeof c);
    if (config) {
        c = *config;
    }
    int status = bml_hadron__apply_rules(&c, rules, 1, why, BML_HADRON_CONFIG);
    if (status) return status;
    bml_hadron *tab;
    tab = (bml_hadron *)BML_HADRON_MALLOC(sizeof *tab);
    if (!tab) {
        return bml_hadron__say(why, BML_HADRON_NO_MEMORY);
    }
    memset(tab, 0, sizeof *tab);
    tab->h = c.spacing * BML_HADRON__LN10;
    ptrdiff_t n = bml_hadron__layout_tables(tab, NULL);
    ptrdiff_t fine = (ptrdiff_t)(tab->pair.lines + BML_HADRON__FINE) * BML_HADRON__MAX(tab->pair.rows, tab->pion.rows);
    tab->memory = bml_hadron__doubles(n);
    double *scratch = bml_hadron__doubles(fine);
    if (!tab->memory || !scratch) {
        BML_HADRON_FREE(tab->memory);
        BML_HADRON_FREE(scratch);
        BML_HADRON_FREE(tab);
        return bml_hadron__say(why, BML_HADRON_NO_MEMORY);
    }
    bml_hadron__layout_tables(tab, tab->memory);
    bml_hadron__fill_pions(tab, scratch);
    bml_hadron__fill_pairs(tab, scratch);
    bml_hadron__fill_gas(tab);
    BML_HADRON_FREE(scratch);
    *out = tab;
    return bml_hadron__say(why, BML_HADRON_OK);
}

BML_HADRON_DEF void bml_hadron_free(bml_hadron *tables) {
    if (!tables) {
        return;
    }
    BML_HADRON_FREE(tables->memory);
    BML_HADRON_FREE(tables);
}

/* >> blobs -----------------------------------------------------------------------------------------------------------
   One block of memory, cut up for the largest grids that the tables admit. */

static int bml_hadron__most_protons(const bml_hadron *tab) {
    return (int)(BML_HADRON__LOG_GAMMA_HIGH * BML_HADRON__LN10 / tab->h) + 4;
}

static int bml_hadron__most_cells(const bml_hadron *tab) {
    double decades = BML_HADRON__LOG_TOP - BML_HADRON__LOG_X_LOW;
    int n = (int)(decades * BML_HADRON__LN10 / tab->h) + 6;
    return BML_HADRON__MIN(n, BML_HADRON__CELLS);
}
/* Length of the synchrotron line. */
static int bml_hadron__line_cells(const bml_hadron *tab) {
    return (int)(log(BML_HADRON__Y_HIGH / BML_HADRON__Y_LOW) / tab->h) + 1;
}

/* Floats from the block of doubles. */
static float *bml_hadron__take_floats(double *base, ptrdiff_t *used, ptrdiff_t n) {
    return (float *)(void *)bml_hadron__take(base, used, (n + 1) / 2);
}

/* Cut a blob's memory up; base = NULL counts. */
static ptrdiff_t bml_hadron__layout_blob(bml_hadron_blob *blob, double *base) {
    const bml_hadron *tab = blob->tab;
    int np = bml_hadron__most_protons(tab);
    int nc = bml_hadron__most_cells(tab);
    ptrdiff_t used = 0;
    double **protons[] = {&blob->gamma, &blob->width, &blob->Q,    &blob->M,    &blob->M1,
                          &blob->M2,    &blob->S,     &blob->rate, &blob->work, &blob->turn};
    double **cells[] = {&blob->P, &blob->suffix, &blob->light, &blob->pairs};
    for (int i = 0; i < (int)(sizeof protons / sizeof *protons); i++)
        *protons[i] = bml_hadron__take(base, &used, np);
    for (int i = 0; i < BML_HADRON__PROCESSES; i++)
        blob->process[i] = bml_hadron__take(base, &used, np);
    for (int i = 0; i < (int)(sizeof cells / sizeof *cells); i++)
        *cells[i] = bml_hadron__take(base, &used, nc + 1);
    blob->line = bml_hadron__take(base, &used, bml_hadron__line_cells(tab));
    for (int s = 0; s < BML_HADRON__KERNELS; s++) {
        const bml_hadron__family *f = s == BML_HADRON__BH ? &tab->pair : &tab->pion;
        bml_hadron__kernel *kernel = &blob->kernel[s];
        kernel->pad = (f->rows + 15) / 16 * 16;
        kernel->value = bml_hadron__take(base, &used, (ptrdiff_t)f->cols * f->rows);
        kernel->quick = bml_hadron__take_floats(base, &used, (ptrdiff_t)f->cols * kernel->pad);
    }
    blob->padded = bml_hadron__take_floats(base, &used, nc + 2 * BML_HADRON__MARGIN);
    blob->column_loss[0] = bml_hadron__take(base, &used, tab->pion.cols);
    blob->column_loss[1] = bml_hadron__take(base, &used, tab->pair.cols);
    blob->column_turn = bml_hadron__take(base, &used, tab->pion.cols);
    for (int kind = 0; kind < BML_HADRON__GAS_KINDS; kind++)
        blob->gas[kind] = bml_hadron__take(base, &used, (ptrdiff_t)np * tab->gas_rows);
    return used;
}

BML_HADRON_DEF int bml_hadron_blob_create(bml_hadron_blob **out, const bml_hadron *tables, char *why) {
    if (out) {
        *out = NULL;
    }
    if (!out || !tables) {
        return bml_hadron__say(why, BML_HADRON_BAD_ARGUMENT);
    }
    bml_hadron_blob *blob;
    blob = (bml_hadron_blob *)BML_HADRON_MALLOC(sizeof *blob);
    if (!blob) {
        return bml_hadron__say(why, BML_HADRON_NO_MEMORY);
    }
    memset(blob, 0, sizeof *blob);
    blob->tab = tables;
    blob->memory = bml_hadron__doubles(bml_hadron__layout_blob(blob, NULL));
    if (!blob->memory) {
        BML_HADRON_FREE(blob);
        return bml_hadron__say(why, BML_HADRON_NO_MEMORY);
    }
    bml_hadron__layout_blob(blob, blob->memory);
    *out = blob;
    return bml_hadron__say(why, BML_HADRON_OK);
}

BML_HADRON_DEF void bml_hadron_blob_free(bml_hadron_blob *blob) {
    if (!blob) {
        return;
    }
    BML_HADRON_FREE(blob->memory);
    BML_HADRON_FREE(blob);
}

/* >> source ----------------------------------------------------------------------------------------------------------
   Checks; the injection comes with the lattice. */

BML_HADRON_DEF double bml_hadron_gamma_top(double gamma_max, double electron_gamma_max, double spacing) {
    double h = (spacing > 0 ? spacing : 0.1) * BML_HADRON__LN10;
    double protons = log(BML_HADRON__M * gamma_max);
    double least = BML_HADRON__MAX(protons + log(0.6), log(electron_gamma_max));
    double steps = ceil((least - protons) / h - 1e-9);
    double most = floor((15 * BML_HADRON__LN10 - protons) / h);
    return exp(protons + h * BML_HADRON__MIN(steps, most));
}

#define BML_HADRON__OF(member, lo, hi, fallback, zero) \
    { #member, offsetof(bml_hadron_source, member), lo, hi, fallback, BML_HADRON__##zero }

/* Defaults and checks of a source. */
static int bml_hadron__resolve(bml_hadron_blob *blob, const bml_hadron_source *source) {
    static const bml_hadron__rule rules[] = {
        BML_HADRON__OF(R, 1e8, 1e22, 0, REQUIRED),
        BML_HADRON__OF(B, 1e-8, 1e6, 0, REQUIRED),
        BML_HADRON__OF(gamma_min, 1, 1e12, 0, REQUIRED),
        BML_HADRON__OF(gamma_max, 1, 1e12, 0, REQUIRED),
        BML_HADRON__OF(compactness, 1e-20, 1e3, 0, ZERO),
        BML_HADRON__OF(L_p, 1e-300, 1e300, 0, ZERO),
        BML_HADRON__OF(p, -10, 10, 0, ZERO),
        BML_HADRON__OF(escape, 1e-3, 1e6, 1, DEFAULT),
        BML_HADRON__OF(gas, 0, 1e20, 0, ZERO),
        BML_HADRON__OF(gamma_break, 1, 1e14, 0, ZERO),
        BML_HADRON__OF(p2, -10, 10, 0, ZERO),
        BML_HADRON__OF(curvature, -10, 10, 0, ZERO),
    };
    char *why = blob->message;
    bml_hadron_source *s = &blob->src;
    *s = *source;
    int n = (int)(sizeof rules / sizeof *rules);
    int status = bml_hadron__apply_rules(s, rules, n, why, BML_HADRON_PARAMETER);
    if (status) return status;
    if (s->compactness == 0 && s->L_p == 0) {
        return bml_hadron__fail(why, BML_HADRON_PARAMETER, "compactness = 0 and L_p = 0: one of them is required");
    }
    if (s->compactness > 0 && s->L_p > 0) {
        return bml_hadron__fail(why, BML_HADRON_PARAMETER, "compactness = %g and L_p = %g: give one of them",
                                s->compactness, s->L_p);
    }
    double unit = 4 * BML_HADRON__PI * s->R * BML_HADRON__M * BML_HADRON__MC2 * BML_HADRON__C / BML_HADRON__SIGMA_T;
    if (s->L_p > 0) {
        s->compactness = s->L_p / unit;
    }
    if (!(s->compactness >= 1e-20 && s->compactness <= 1e3)) {
        return bml_hadron__fail(why, BML_HADRON_PARAMETER,
                                "L_p = %g: makes a compactness of %g, must be in [1e-20, 1e3]", s->L_p, s->compactness);
    }
    s->L_p = s->compactness * unit;
    if (!(s->gamma_max > s->gamma_min)) {
        return bml_hadron__fail(why, BML_HADRON_ORDER, "gamma_max = %g: must be above gamma_min = %g", s->gamma_max,
                                s->gamma_min);
    }
    int kind = (int)s->injection;
    if (s->cooling != 0 && s->cooling != 1) {
        return bml_hadron__fail(why, BML_HADRON_PARAMETER, "cooling = %d: must be in [0, 1]", s->cooling);
    }
    if (s->neutrons != 0 && s->neutrons != 1) {
        return bml_hadron__fail(why, BML_HADRON_PARAMETER, "neutrons = %d: must be in [0, 1]", s->neutrons);
    }
    if (kind < BML_HADRON_POWER_LAW || kind > BML_HADRON_CUTOFF) {
        return bml_hadron__fail(why, BML_HADRON_SPECTRUM, "injection = %d: must be in [0, %d]", kind,
                                BML_HADRON_CUTOFF);
    }
    if (kind != BML_HADRON_POWER_LAW && s->gamma_break == 0) {
        return bml_hadron__fail(why, BML_HADRON_PARAMETER,
                                "gamma_break = 0: required by this injection, must be in [1, 1e14]");
    }
    return BML_HADRON_OK;
}
#undef BML_HADRON__OF

BML_HADRON_DEF int bml_hadron_begin(bml_hadron_blob *blob, const bml_hadron_source *source) {
    if (!blob || !source) {
        return BML_HADRON_BAD_ARGUMENT;
    }
    blob->started = 0;
    blob->message[0] = 0;
    int status = bml_hadron__resolve(blob, source);
    if (status) return status;
    blob->t = blob->dt = blob->dt_last = 0;
    blob->steps = 0;
    blob->unit = 1;
    blob->ln_R[0] = blob->ln_R[1] = log(source->R);
    memset(blob->ledger, 0, sizeof blob->ledger);
    blob->started = 1;
    return BML_HADRON_OK;
}

/* ln of the shape of the injection at gamma; not normalised. */
static double bml_hadron__shape(const bml_hadron_source *s, double gamma) {
    if (s->injection == BML_HADRON_POWER_LAW) {
        return -s->p * log(gamma / s->gamma_max);
    }
    double y = log(gamma / s->gamma_break);
    double index = s->p;
    if (s->injection == BML_HADRON_BROKEN && y >= 0) {
        index = s->p2;
    }
    if (s->injection == BML_HADRON_LOG_PARABOLA) {
        index = s->p + s->curvature * y / BML_HADRON__LN10;
    }
    double fall = s->injection == BML_HADRON_CUTOFF ? gamma / s->gamma_break : 0;
    return -index * y - fall;
}

/* Fills Q, the number injected per cell and R/c: the energy of each cell is exact. */
static int bml_hadron__inject(bml_hadron_blob *blob) {
    const bml_hadron_source *s = &blob->src;
    double half = exp(0.5 * blob->tab->h);
    double total = 0;
    double peak = -HUGE_VAL;
    for (int i = 0; i < blob->n_protons; i++) {
        double at = BML_HADRON__MIN(BML_HADRON__MAX(blob->gamma[i], s->gamma_min), s->gamma_max);
        peak = BML_HADRON__MAX(peak, bml_hadron__shape(s, at) + 2 * log(at));
    }
    for (int i = 0; i < blob->n_protons; i++) {
        double lo = BML_HADRON__MAX(blob->gamma[i] / half, s->gamma_min);
        double hi = BML_HADRON__MIN(blob->gamma[i] * half, s->gamma_max);
        double width = hi > lo ? log(hi / lo) : 0;
        double energy = 0;
        for (int k = 0; k < 8 && width > 0; k++) {
            double gamma = lo * exp(0.5 * width * (1 + bml_hadron__node(k)));
            double ln = bml_hadron__shape(s, gamma) + 2 * log(gamma) - peak;
            energy += 0.5 * width * bml_hadron__weight(k) * exp(ln);
        }
        total += energy;
        blob->Q[i] = energy / blob->gamma[i];
    }
    if (!(total > 0 && total < HUGE_VAL)) {
        return bml_hadron__fail(blob->message, BML_HADRON_SPECTRUM,
                                "injected energy = %g: the injection has none between gamma_min and gamma_max", total);
    }
    for (int i = 0; i < blob->n_protons; i++)
        blob->Q[i] *= 3 * s->compactness / total; /* (2) */
    return BML_HADRON_OK;
}

/* >> lattice ---------------------------------------------------------------------------------------------------------
   Where the protons stand on the grid of photons and electrons, and the kernels there. */

/* Cells of protons: the last one contains gamma_max, the first one gamma = 1. */
static void bml_hadron__place(bml_hadron_blob *blob, double gamma_max) {
    double h = blob->tab->h;
    double half = exp(0.5 * h);
    double top = (log(BML_HADRON__M * gamma_max) - blob->lx0) / h + 0.5;
    double bottom = (log(BML_HADRON__M) - blob->lx0) / h + 0.5;
    int last = (int)ceil(top - 1e-6) - 1;
    blob->p0 = bml_hadron__floor(bottom + 1e-6);
    blob->n_protons = last - blob->p0 + 1;
    for (int i = 0; i < blob->n_protons; i++) {
        double gamma = exp(blob->lx0 + h * (blob->p0 + i)) / BML_HADRON__M;
        blob->gamma[i] = gamma;
        blob->width[i] = gamma * half - BML_HADRON__MAX(gamma / half, 1.0);
    }
    int electrons = blob->n_electrons > 0 ? blob->e0 + blob->n_electrons : 0;
    blob->cells = BML_HADRON__MAX(last + 1, blob->n_photons);
    blob->cells = BML_HADRON__MAX(blob->cells, electrons);
}

/* One kernel from the lines of its table; the first column has ln eta or ln w = at for proton 0 and photon 0. */
static void bml_hadron__interpolate(bml_hadron__kernel *kernel, const double *share, const bml_hadron__family *f,
                                    double at, double h) {
    double u = (at - f->low) / h;
    kernel->base = bml_hadron__floor(u);
    kernel->cols = f->cols;
    kernel->rows = f->rows;
    kernel->lead = f->lead;
    double phase = (u - kernel->base) * BML_HADRON__FINE;
    int j = bml_hadron__clamp((int)phase, 0, BML_HADRON__FINE - 1);
    double w = phase - j;
    for (int c = 0; c < f->cols; c++) {
        const double *below = share + (ptrdiff_t)(c * BML_HADRON__FINE + j) * f->rows;
        const double *above = below + f->rows;
        double *out = kernel->value + (ptrdiff_t)c * f->rows;
        for (int m = 0; m < f->rows; m++)
            out[m] = below[m] + w * (above[m] - below[m]);
    }
}

/* The flat tail of photopion products below the last row: energies of cells fall as e^(-2 h), numbers as e^-h. Their
   sum over that of the last row. */
static double bml_hadron__tail(double fall) {
    return exp(-fall) / -expm1(-fall);
}

/* Adds the rows of a kernel to the losses of its columns; tail: see above, or 0. */
static void bml_hadron__sum_rows(double *loss, const bml_hadron__kernel *kernel, double tail) {
    for (int c = 0; c < kernel->cols; c++) {
        const double *row = kernel->value + (ptrdiff_t)c * kernel->rows;
        for (int m = 0; m < kernel->rows; m++)
            loss[c] += row[m];
        loss[c] += tail * row[kernel->rows - 1];
    }
}

/* The single-precision copy. */
static void bml_hadron__quicken(bml_hadron__kernel *kernel, double h) {
    for (int c = 0; c < kernel->cols; c++) {
        double scale = exp(-h * c);
        for (int m = 0; m < kernel->pad; m++) {
            double v = m < kernel->rows ? kernel->value[(ptrdiff_t)c * kernel->rows + m] : 0;
            kernel->quick[(ptrdiff_t)c * kernel->pad + m] = (float)(v * scale * BML_HADRON__QUICK);
        }
    }
}

static void bml_hadron__kernels(bml_hadron_blob *blob) {
    const bml_hadron *tab = blob->tab;
    double ln_M = log(BML_HADRON__M);
    double both = 2 * blob->lx0 + tab->h * blob->p0; /* ln of x M gamma */
    double ln_eta = both + 2 * BML_HADRON__LN2 - 2 * ln_M;
    double ln_w = both + BML_HADRON__LN2 - ln_M;
    bml_hadron__clear(blob->column_loss[0], tab->pion.cols);
    bml_hadron__clear(blob->column_loss[1], tab->pair.cols);
    for (int s = 0; s < BML_HADRON__PION_SPECIES; s++) {
        bml_hadron__interpolate(&blob->kernel[s], tab->share[s], &tab->pion, ln_eta, tab->h);
        bml_hadron__sum_rows(blob->column_loss[0], &blob->kernel[s], bml_hadron__tail(2 * tab->h));
    }
    bml_hadron__kernel *pairs = &blob->kernel[BML_HADRON__BH];
    bml_hadron__interpolate(pairs, tab->share[BML_HADRON__BH], &tab->pair, ln_w, tab->h);
    bml_hadron__sum_rows(blob->column_loss[1], pairs, 0);
    bml_hadron__kernel *sum = &blob->kernel[BML_HADRON__BOTH];
    double *value = sum->value;
    float *quick = sum->quick;
    *sum = blob->kernel[BML_HADRON_POSITRON];
    sum->value = value;
    sum->quick = quick;
    const double *positron = blob->kernel[BML_HADRON_POSITRON].value;
    const double *electron = blob->kernel[BML_HADRON_ELECTRON].value;
    for (int k = 0; k < sum->cols * sum->rows; k++)
        value[k] = positron[k] + electron[k];
    for (int c = 0; c < sum->cols; c++) {
        double turn = 0;
        double number = 0; /* of a row */
        for (int m = 0; m < sum->rows; m++) {
            number = (positron[c * sum->rows + m] - electron[c * sum->rows + m]) * exp(tab->h * m);
            turn += number;
        }
        turn += number * bml_hadron__tail(tab->h);
        blob->column_turn[c] = BML_HADRON__MAX(turn, 0.0);
    }
    for (int s = 0; s < BML_HADRON__KERNELS; s++)
        bml_hadron__quicken(&blob->kernel[s], tab->h);
}

/* Gas: the share of each proton's energy in each row, times the cross section. */
static void bml_hadron__kernels_gas(bml_hadron_blob *blob) {
    const bml_hadron *tab = blob->tab;
    int rows = tab->gas_rows;
    for (int i = 0; i < blob->n_protons; i++) {
        double E_p = BML_HADRON__M * blob->gamma[i];
        double sigma = bml_hadron__inelastic(E_p);
        double u = (log(E_p / BML_HADRON__TEV) - bml_hadron__gas_node(0)) / bml_hadron__gas_step();
        u = BML_HADRON__MIN(BML_HADRON__MAX(u, 0.0), BML_HADRON__GAS_NODES - 1.0);
        int j = bml_hadron__clamp((int)u, 0, BML_HADRON__GAS_NODES - 2);
        double w = u - j;
        for (int kind = 0; kind < BML_HADRON__GAS_KINDS; kind++) {
            const double *below = tab->gas[kind] + j * rows;
            double *out = blob->gas[kind] + (ptrdiff_t)i * rows;
            for (int m = 0; m < rows; m++)
                out[m] = sigma * (below[m] + w * (below[m + rows] - below[m]));
        }
    }
}

/* S(y) of (7), not normalised: Aharonian, Kelner & Prosekin (2010), eq. D7, right to 0.2 %. */
static double bml_hadron__synchrotron(double y) {
    double c = cbrt(y);
    double c2 = c * c;
    double ratio = (1 + 2.210 * c2 + 0.347 * c2 * c2) / (1 + 1.353 * c2 + 0.217 * c2 * c2);
    return 1.808 * c / sqrt(1 + 3.4 * c2) * ratio * exp(-y);
}

/* y S(y), averaged over the cell of the proton, which is 2 h wide in ln y: Simpson's rule. */
static double bml_hadron__line(double y, double h) {
    static const double weight[] = {1.0 / 12, 4.0 / 12, 2.0 / 12, 4.0 / 12, 1.0 / 12};
    double sum = 0;
    for (int i = 0; i < 5; i++) {
        double at = y * exp(h * (0.5 * i - 1));
        sum += weight[i] * at * bml_hadron__synchrotron(at);
    }
    return sum;
}

/* The synchrotron line of this field: the share of a proton's power in each cell, by k - 2 i from line_base on. */
static void bml_hadron__set_field(bml_hadron_blob *blob, double R, double B) {
    const bml_hadron *tab = blob->tab;
    double h = tab->h;
    double b = B / BML_HADRON__B_CRIT;
    blob->B_now = B;
    blob->l_B = BML_HADRON__SIGMA_T * R * B * B / (8 * BML_HADRON__PI * BML_HADRON__MC2);
    blob->line_n = B > 0 ? bml_hadron__line_cells(tab) : 0;
    if (!(B > 0)) {
        return;
    }
    double ln_M = log(BML_HADRON__M);
    double at = -blob->lx0 - 2 * h * blob->p0 + 2 * ln_M - log(1.5 * b / BML_HADRON__M); /* ln y of k = i = 0 */
    blob->line_base = (int)ceil((log(BML_HADRON__Y_LOW) - at) / h);
    double sum = 0;
    for (int j = 0; j < blob->line_n; j++) {
        double y = exp(at + h * (blob->line_base + j));
        blob->line[j] = bml_hadron__line(y, h);
        sum += blob->line[j];
    }
    for (int j = 0; j < blob->line_n; j++)
        blob->line[j] /= sum;
}

/* Each node of a logarithmic grid follows on the one before. */
static int bml_hadron__is_logarithmic(const double *at, int n, double h) {
    double ratio = exp(h);
    for (int k = 0; k + 1 < n; k++) {
        if (!(fabs(at[k + 1] / (at[k] * ratio) - 1) < 1e-6)) {
            return 0;
        }
    }
    return 1;
}

/* The spacing and phases of the given grids; the lattice of this source. */
static int bml_hadron__meet(bml_hadron_blob *blob, const bml_hadron_field *f) {
    double h = blob->tab->h;
    char *why = blob->message;
    if (f->n_photons < 2 || f->n_electrons < 2 || !(f->x[0] > 0) || !(f->gamma[0] > 0)) {
        return bml_hadron__fail(why, BML_HADRON_GRID, "grids of %d electrons and %d photons: must have two nodes",
                                f->n_electrons, f->n_photons);
    }
    double step_x = log(f->x[f->n_photons - 1] / f->x[0]) / (f->n_photons - 1);
    double step_e = log(f->gamma[f->n_electrons - 1] / f->gamma[0]) / (f->n_electrons - 1);
    if (!(fabs(step_x / h - 1) < 1e-6 && fabs(step_e / h - 1) < 1e-6)) {
        return bml_hadron__fail(why, BML_HADRON_GRID,
                                "spacing = %g dex of photons, %g of electrons: must be %g, that of the tables",
                                step_x / BML_HADRON__LN10, step_e / BML_HADRON__LN10, h / BML_HADRON__LN10);
    }
    if (!bml_hadron__is_logarithmic(f->x, f->n_photons, h) ||
        !bml_hadron__is_logarithmic(f->gamma, f->n_electrons, h)) {
        return bml_hadron__fail(why, BML_HADRON_GRID, "x and gamma: each node must be %g times the one before", exp(h));
    }
    double apart = log(f->gamma[0] / f->x[0]) / h;
    blob->e0 = bml_hadron__floor(apart + 0.5);
    if (!(fabs(apart - blob->e0) < 1e-3)) {
        return bml_hadron__fail(why, BML_HADRON_GRID, "gamma = %g and x = %g: must be on a common lattice", f->gamma[0],
                                f->x[0]);
    }
    blob->lx0 = log(f->x[0]);
    blob->n_photons = f->n_photons;
    blob->n_electrons = f->n_electrons;
    double top = log(BML_HADRON__M * blob->src.gamma_max);
    double cells = (top - blob->lx0) / h + 2;
    int most = bml_hadron__most_cells(blob->tab);
    if (!(cells < most && f->n_photons <= most && blob->e0 + f->n_electrons <= most && blob->e0 >= 0 && cells > 1)) {
        return bml_hadron__fail(why, BML_HADRON_GRID, "x = %g ... %g, gamma = %g: must be within [1e-24, 1e15]",
                                f->x[0], f->x[f->n_photons - 1], f->gamma[0]);
    }
    if (blob->lx0 > 0) {
        return bml_hadron__fail(why, BML_HADRON_GRID, "x = %g: must begin below 1", f->x[0]);
    }
    bml_hadron__place(blob, blob->src.gamma_max);
    return BML_HADRON_OK;
}

/* The first call after begin. */
static int bml_hadron__lay(bml_hadron_blob *blob, const bml_hadron_field *f) {
    int status = bml_hadron__meet(blob, f);
    if (!status) {
        status = bml_hadron__inject(blob);
    }
    if (status) return status;
    bml_hadron__kernels(blob);
    if (blob->src.gas > 0) {
        bml_hadron__kernels_gas(blob);
    }
    bml_hadron__set_field(blob, blob->src.R, f->B);
    double *protons[] = {blob->M, blob->M1, blob->M2};
    for (int i = 0; i < 3; i++)
        bml_hadron__clear(protons[i], blob->n_protons);
    blob->started = 2;
    return BML_HADRON_OK;
}

/* >> emission --------------------------------------------------------------------------------------------------------
   Energies per cell and R/c. */

/* Sums of targets from k up; and the targets in single precision, times their energy, which spans far less than their
   number; what is 1e-30 of the peak is none. */
static void bml_hadron__suffixes(bml_hadron_blob *blob) {
    int n = blob->n_photons;
    double sum = 0;
    double step = exp(blob->tab->h);
    double x = exp(blob->lx0);
    float *padded = blob->padded + BML_HADRON__MARGIN;
    blob->peak = 0;
    for (int k = 0; k < n; k++) {
        blob->peak = BML_HADRON__MAX(blob->peak, blob->P[k] * x);
        x *= step;
    }
    double unit = blob->peak > 0 ? 1 / blob->peak : 0;
    x = exp(blob->lx0);
    for (int k = 0; k < n; k++) {
        double share = blob->P[k] * x * unit;
        padded[k] = share > 1e-30 ? (float)share : 0;
        x *= step;
    }
    for (int k = 0; k < BML_HADRON__MARGIN; k++)
        padded[-1 - k] = padded[n + k] = 0;
    blob->suffix[blob->n_photons] = 0;
    for (int k = blob->n_photons - 1; k >= 0; k--) {
        sum += blob->P[k];
        blob->suffix[k] = sum;
    }
}

/* The photons that proton i meets in the columns of a kernel: from *lo up to *hi one by one, *rest in the last. */
static void bml_hadron__range(int *lo, int *hi, double *rest, const bml_hadron_blob *blob,
                              const bml_hadron__kernel *kernel, int i) {
    int n = blob->n_photons;
    int last = kernel->cols - 1 - i - kernel->base;
    *lo = bml_hadron__clamp(-(i + kernel->base), 0, n);
    *hi = bml_hadron__clamp(last, *lo, n);
    *rest = blob->suffix[bml_hadron__clamp(last, 0, n)];
}

/* sum [GROUP][ROWS] = quick [count][pad] transposed times the targets that begin at n, n - 1, n - 2, n - 3: the product
   of one table with a Hankel matrix. */
static void bml_hadron__rows(float *BML_HADRON__RESTRICT sum, const float *BML_HADRON__RESTRICT quick,
                             const float *BML_HADRON__RESTRICT n, int pad, int count) {
    bml_hadron__lanes s[2 * BML_HADRON__GROUP];
    memset(s, 0, sizeof s);
    for (int c = 0; c < count; c++) {
        bml_hadron__lanes low;
        bml_hadron__lanes high;
        memcpy(&low, quick, sizeof low);
        memcpy(&high, quick + BML_HADRON__LANES, sizeof high);
        BML_HADRON__ADD(s[0], n[c], low);
        BML_HADRON__ADD(s[1], n[c], high);
        BML_HADRON__ADD(s[2], n[c - 1], low);
        BML_HADRON__ADD(s[3], n[c - 1], high);
        BML_HADRON__ADD(s[4], n[c - 2], low);
        BML_HADRON__ADD(s[5], n[c - 2], high);
        BML_HADRON__ADD(s[6], n[c - 3], low);
        BML_HADRON__ADD(s[7], n[c - 3], high);
        quick += pad;
    }
    memcpy(sum, s, sizeof s);
}

/* share [GROUP][CELLS] = what one proton of cells i, i + 1, i + 2, i + 3 makes. */
static void bml_hadron__project(double share[][BML_HADRON__CELLS], const bml_hadron_blob *blob,
                                const bml_hadron__kernel *kernel, int i) {
    int at = i + kernel->base; /* column of photon 0, for the first */
    int last = kernel->cols - 1;
    int lo = bml_hadron__clamp(at, 0, last);
    int hi = bml_hadron__clamp(blob->n_photons + at + BML_HADRON__GROUP - 1, lo, last);
    const float *n = blob->padded + BML_HADRON__MARGIN + (lo - at);
    double unit = blob->peak / BML_HADRON__QUICK * exp(blob->tab->h * at - blob->lx0);
    double step = exp(blob->tab->h);
    float sum[BML_HADRON__GROUP * BML_HADRON__ROWS];
    for (int row = 0; row < kernel->pad; row += BML_HADRON__ROWS) {
        memset(sum, 0, sizeof sum);
        if (hi > lo) {
            bml_hadron__rows(sum, kernel->quick + (ptrdiff_t)lo * kernel->pad + row, n, kernel->pad, hi - lo);
        }
        double scale = unit;
        for (int e = 0; e < BML_HADRON__GROUP; e++) {
            for (int m = 0; m < BML_HADRON__ROWS && row + m < kernel->rows; m++)
                share[e][row + m] = scale * (double)sum[e * BML_HADRON__ROWS + m];
            scale *= step;
        }
    }
    const double *beyond = kernel->value + (ptrdiff_t)last * kernel->rows;
    for (int e = 0; e < BML_HADRON__GROUP; e++) {
        double rest = blob->suffix[bml_hadron__clamp(last - at - e, 0, blob->n_photons)];
        for (int m = 0; m < kernel->rows && rest > 0; m++)
            share[e][m] += rest * beyond[m];
    }
}

/* Adds share [rows], times energy, to the cells of a proton; *lost: what has none. */
static void bml_hadron__deposit(double *BML_HADRON__RESTRICT cells, int n, double *lost,
                                const double *BML_HADRON__RESTRICT share, int rows, int top, double energy) {
    int from = bml_hadron__clamp(top - n + 1, 0, rows);
    int to = bml_hadron__clamp(top + 1, from, rows);
    double out = 0;
    for (int m = 0; m < from; m++)
        out += share[m];
    for (int m = to; m < rows; m++)
        out += share[m];
    *lost += energy * out;
    if (from == to) {
        return;
    }
    double *BML_HADRON__RESTRICT cell = cells + top - from;
    share += from;
    for (int m = 0; m < to - from; m++)
        cell[-m] += energy * share[m];
}

/* Adds the flat tails that begin in the cells of tail [cells], which is spent. */
static void bml_hadron__add_tails(double *cells, double *lost, double *tail, const bml_hadron_blob *blob) {
    double fall = exp(-2 * blob->tab->h);
    double here = 0;
    for (int c = blob->cells - 1; c >= 0; c--) {
        here = fall * here + tail[c];
        cells[c] += here;
    }
    *lost += here * fall / (1 - fall);
}

/* cells += what all protons make of the species of a kernel. */
static void bml_hadron__emit_kernel(double *cells, double *lost, const bml_hadron_blob *blob, int which) {
    const bml_hadron__kernel *kernel = &blob->kernel[which];
    double share[BML_HADRON__GROUP][BML_HADRON__CELLS];
    double tail[BML_HADRON__CELLS];
    double fall = exp(-2 * blob->tab->h);
    int rows = kernel->rows;
    bml_hadron__clear(tail, blob->cells);
    for (int i = 0; i < blob->n_protons; i += BML_HADRON__GROUP) {
        int end = BML_HADRON__MIN(i + BML_HADRON__GROUP, blob->n_protons);
        double most = 0;
        for (int e = i; e < end; e++)
            most = BML_HADRON__MAX(most, blob->M[e]);
        if (!(most > 0) || end - 1 + blob->n_photons - 1 + kernel->base < 0) {
            continue;
        }
        bml_hadron__project(share, blob, kernel, i);
        for (int e = i; e < end; e++) {
            double energy = blob->M[e] * blob->gamma[e] * BML_HADRON__M;
            int top = blob->p0 + e - kernel->lead;
            bml_hadron__deposit(cells, blob->cells, lost, share[e - i], rows, top, energy);
            double next = which == BML_HADRON__BH ? 0 : fall * energy * share[e - i][rows - 1];
            if (top - rows >= 0) {
                tail[top - rows] += next;
            } else {
                *lost += next / (1 - fall);
            }
        }
    }
    if (which != BML_HADRON__BH) {
        bml_hadron__add_tails(cells, lost, tail, blob);
    }
}

static void bml_hadron__emit_gas(double *cells, double *lost, const bml_hadron_blob *blob, int kind, double times) {
    int rows = blob->tab->gas_rows;
    for (int i = 0; i < blob->n_protons; i++) {
        double energy = times * blob->gas_now * blob->M[i] * blob->gamma[i] * BML_HADRON__M;
        const double *share = blob->gas[kind] + (ptrdiff_t)i * rows;
        if (energy > 0) {
            bml_hadron__deposit(cells, blob->cells, lost, share, rows, blob->p0 + i, energy);
        }
    }
}

/* Power of a proton in synchrotron light, over m_e c^2 and per R/c. */
static double bml_hadron__power(const bml_hadron_blob *blob, int i) {
    double per_M = blob->gamma[i] / BML_HADRON__M;
    return 4.0 / 3 * blob->l_B * per_M * per_M;
}

static void bml_hadron__emit_synchrotron(double *BML_HADRON__RESTRICT cells, double *lost,
                                         const bml_hadron_blob *blob) {
    for (int i = 0; i < blob->n_protons; i++) {
        double power = blob->M[i] * bml_hadron__power(blob, i);
        int first = blob->line_base + 2 * i;
        int from = bml_hadron__clamp(-first, 0, blob->line_n);
        int to = bml_hadron__clamp(blob->cells - first, from, blob->line_n);
        double out = 0;
        for (int j = 0; j < from; j++)
            out += blob->line[j];
        for (int j = to; j < blob->line_n; j++)
            out += blob->line[j];
        *lost += power * out;
        if (from == to) {
            continue;
        }
        double *BML_HADRON__RESTRICT cell = cells + first + from;
        const double *line = blob->line + from;
        for (int j = 0; j < to - from && power > 0; j++)
            cell[j] += power * line[j];
    }
}

static int bml_hadron__on(const bml_hadron_blob *blob, int process) {
    return !(blob->src.off & process);
}

/* (11): of leptons of energy E, over m_e c^2, made by a meson or muon: loss rate over decay rate is scale E^2, and the
   light is at line E^2. */
typedef struct bml_hadron__parent {
    double scale;
    double line;
} bml_hadron__parent;

static bml_hadron__parent bml_hadron__parent_of(const bml_hadron_blob *blob, double mass, double life, double share) {
    bml_hadron__parent out;
    double U_B = blob->B_now * blob->B_now / (8 * BML_HADRON__PI);
    double rate = 4.0 / 3 * BML_HADRON__SIGMA_T * BML_HADRON__C * U_B / BML_HADRON__MC2 / (mass * mass * mass);
    double gamma = share / mass; /* per E */
    out.scale = rate * life * gamma * gamma;
    out.line = 1.5 * blob->B_now / BML_HADRON__B_CRIT * gamma * gamma / mass;
    return out;
}

static bml_hadron__parent bml_hadron__pion(const bml_hadron_blob *blob) {
    return bml_hadron__parent_of(blob, 273.1320, 2.6033e-8, 4);
}

static bml_hadron__parent bml_hadron__muon(const bml_hadron_blob *blob) {
    return bml_hadron__parent_of(blob, 206.7682830, 2.1969811e-6, 3);
}

/* Energy into the two cells beside ln x. */
static void bml_hadron__drop(double *cells, int n, double *lost, double u, double energy) {
    if (!(u >= 0 && u < n - 1)) {
        *lost += energy;
        return;
    }
    int k = (int)u;
    cells[k] += energy * (k + 1 - u);
    cells[k + 1] += energy * (u - k);
}

/* Leptons [cells] of a species: those whose parents decay in time; what the others shine goes to light, unless it is
   NULL. */
static void bml_hadron__survive(double *cells, double *light, double *lost, const bml_hadron_blob *blob, int species) {
    bml_hadron__parent pion = bml_hadron__pion(blob);
    bml_hadron__parent muon = bml_hadron__muon(blob);
    double h = blob->tab->h;
    for (int c = 0; c < blob->cells; c++) {
        double E2 = exp(2 * (blob->lx0 + h * c));
        double decay = 1 / (1 + pion.scale * E2);
        double again = species == BML_HADRON_NU_MU ? 1 : 1 / (1 + muon.scale * E2);
        double energy = cells[c];
        cells[c] = energy * decay * again;
        if (!light || !(energy > 0)) {
            continue;
        }
        double u_pion = (log(pion.line * E2) - blob->lx0) / h;
        double u_muon = (log(muon.line * E2) - blob->lx0) / h;
        bml_hadron__drop(light, blob->n_photons, lost, u_pion, energy * (1 - decay));
        bml_hadron__drop(light, blob->n_photons, lost, u_muon, energy * decay * (1 - again));
    }
}

/* cells [cells] = energy of a species, per cell and R/c; *lost: what fell off the lattice. */
static void bml_hadron__emit(double *cells, double *lost, const bml_hadron_blob *blob, int species) {
    bml_hadron__clear(cells, blob->cells);
    int gas = blob->gas_now > 0;
    if (species == BML_HADRON_NEUTRON) {
        for (int i = 0; i < blob->n_protons; i++)
            cells[blob->p0 + i] = blob->M[i] * blob->gamma[i] * BML_HADRON__M * blob->turn[i];
        return;
    }
    if (species == BML_HADRON_SYNCHROTRON) {
        bml_hadron__emit_synchrotron(cells, lost, blob);
        return;
    }
    if (species == BML_HADRON_BETHE_HEITLER) {
        if (bml_hadron__on(blob, BML_HADRON_PAIRS)) {
            bml_hadron__emit_kernel(cells, lost, blob, BML_HADRON__BH);
        }
        return;
    }
    if (bml_hadron__on(blob, BML_HADRON_PHOTOPION)) {
        bml_hadron__emit_kernel(cells, lost, blob, species);
    }
    if (!gas) {
        return;
    }
    if (species == BML_HADRON_GAMMA) {
        bml_hadron__emit_gas(cells, lost, blob, BML_HADRON__GAS_GAMMA, 1);
        return;
    }
    bml_hadron__emit_gas(cells, lost, blob, BML_HADRON__GAS_MUON, 0.5); /* particle and antiparticle alike */
    if (species == BML_HADRON_NU_MU || species == BML_HADRON_ANTI_NU_MU) {
        bml_hadron__emit_gas(cells, lost, blob, BML_HADRON__GAS_DIRECT, 0.5);
    }
}

/* >> time ------------------------------------------------------------------------------------------------------------
   BDF2 with variable steps, as in bml_ssc.h: a0 u - a1 u' - a2 u'' = dt (du/dt at the new time), u' and u'' the last
   two values; the first step is backward Euler. Within a cell the stationary flux is followed exactly (exponentially
   fitted finite volumes), so that steps and cells may be wide. */

/* Sum over the photons that proton i meets of a number for each column. */
static double bml_hadron__over_columns(const bml_hadron_blob *blob, const bml_hadron__kernel *kernel,
                                       const double *column, int i) {
    int lo;
    int hi;
    double rest;
    bml_hadron__range(&lo, &hi, &rest, blob, kernel, i);
    double sum = rest * column[kernel->cols - 1];
    column += i + kernel->base;
    for (int j = lo; j < hi; j++)
        sum += blob->P[j] * column[j];
    return sum;
}

/* Loss rates |gamma_dot|/gamma, by process and all together. */
static void bml_hadron__losses(bml_hadron_blob *blob, double expansion) {
    static const int kernels[] = {BML_HADRON_GAMMA, BML_HADRON__BH};
    static const int bits[] = {BML_HADRON_PHOTOPION, BML_HADRON_PAIRS};
    int rows = blob->tab->gas_rows;
    int turns = blob->src.neutrons && bml_hadron__on(blob, BML_HADRON_PHOTOPION);
    for (int i = 0; i < blob->n_protons; i++) {
        for (int k = 0; k < 2; k++) {
            double loss = 0;
            if (bml_hadron__on(blob, bits[k])) {
                loss = bml_hadron__over_columns(blob, &blob->kernel[kernels[k]], blob->column_loss[k], i);
            }
            blob->process[k][i] = loss;
        }
        blob->turn[i] = 0;
        if (turns) {
            blob->turn[i] = bml_hadron__over_columns(blob, &blob->kernel[BML_HADRON_GAMMA], blob->column_turn, i);
        }
        double gas = 0;
        for (int m = 0; m < rows && blob->gas_now > 0; m++) {
            ptrdiff_t at = (ptrdiff_t)i * rows + m;
            double muon = blob->gas[BML_HADRON__GAS_MUON][at];
            gas += blob->gas[BML_HADRON__GAS_GAMMA][at] + blob->gas[BML_HADRON__GAS_DIRECT][at] + 3 * muon;
        }
        blob->process[BML_HADRON__GAS][i] = gas * blob->gas_now;
        double light = blob->line_n > 0 ? bml_hadron__power(blob, i) / (BML_HADRON__M * blob->gamma[i]) : 0;
        blob->process[BML_HADRON__SYN][i] = light;
        blob->rate[i] = expansion;
        for (int k = 0; k < BML_HADRON__PROCESSES; k++)
            blob->rate[i] += blob->process[k][i];
    }
}

/* c1 = 1 - e^-tau, c2 = tau - c1, c3 = 1 - c1/2 - c1/tau, without cancellation. */
static void bml_hadron__cell_weights(double *c1, double *c2, double *c3, double tau) {
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

/* M from S [n], the injection and history, with losses and leave = a0/dt + 1/escape, and neutrons: see bml_ssc.h, where
   the same is done to electrons. Returns the number per R/c that falls through the lower end. */
static double bml_hadron__cool(bml_hadron_blob *blob, double leave) {
    int n = blob->n_protons;
    double *g = blob->work;
    double F = 0;
    for (int i = 0; i < n; i++) {
        double lambda = leave + blob->turn[i];
        double least = 1e-10 * lambda * blob->width[i] / blob->gamma[i]; /* no losses: depth of a cell 1e10 */
        blob->rate[i] = BML_HADRON__MAX(blob->rate[i], least);
        g[i] = blob->S[i] * blob->gamma[i] * blob->rate[i] / (lambda * blob->width[i]);
    }
    for (int i = n - 1; i >= 0; i--) {
        double lambda = leave + blob->turn[i];
        double tau = lambda * blob->width[i] / (blob->gamma[i] * blob->rate[i]);
        double down = i > 0 ? g[i - 1] : 0;
        double up = i + 1 < n ? g[i + 1] : BML_HADRON__MAX(2 * g[i] - down, 0.0);
        double d = bml_hadron__limited(up - g[i], g[i] - down);
        double c1;
        double c2;
        double c3;
        bml_hadron__cell_weights(&c1, &c2, &c3, tau);
        double number = (F * c1 + g[i] * c2 + d * c3) / lambda;
        double out = F + blob->S[i] - lambda * number;
        F = BML_HADRON__MAX(out, 0.0);
        blob->M[i] = BML_HADRON__MAX(number, 0.0);
    }
    return F;
}

/* Of a step w times as long as the one before; w = 0: backward Euler. */
static void bml_hadron__coefficients(bml_hadron_blob *blob, double w) {
    blob->a0 = (1 + 2 * w) / (1 + w);
    blob->a1 = 1 + w;
    blob->a2 = -w * w / (1 + w);
}

/* A steep fall would make the history of BDF2 negative: then the step is backward Euler's, of state and books alike. */
static int bml_hadron__collapses(const bml_hadron_blob *blob) {
    double bad = 0;
    double all = 0;
    for (int i = 0; i < blob->n_protons; i++) {
        double u = blob->a1 * blob->M1[i] + blob->a2 * blob->M2[i];
        double energy = blob->M1[i] * blob->gamma[i];
        all += energy;
        bad += u < 0 ? energy - u * blob->gamma[i] : 0;
    }
    return bad > 1e-6 * all;
}

/* The step before is history now. */
static int bml_hadron__turn_page(bml_hadron_blob *blob, const bml_hadron_field *f) {
    if (blob->steps > 0) {
        blob->t = blob->t_last;
        blob->dt_last = blob->dt;
        bml_hadron__swap(&blob->M2, &blob->M1);
        bml_hadron__swap(&blob->M1, &blob->M);
        for (int i = 0; i < BML_HADRON__LEDGERS; i++) {
            blob->ledger[i].before = blob->ledger[i].last;
            blob->ledger[i].last = blob->ledger[i].now;
        }
        blob->ln_R[1] = blob->ln_R[0];
    }
    if (!(f->dt > 0 && fabs(f->t - f->dt - blob->t) <= 1e-6 * (1 + f->t))) {
        return bml_hadron__fail(blob->message, BML_HADRON_TIME, "t = %g, dt = %g: must follow on %g", f->t, f->dt,
                                blob->t);
    }
    blob->dt = f->dt;
    blob->t_last = f->t;
    blob->steps++;
    double w = blob->dt_last > 0 ? blob->dt / blob->dt_last : 0;
    bml_hadron__coefficients(blob, w);
    if (bml_hadron__collapses(blob)) {
        bml_hadron__coefficients(blob, 0);
    }
    return BML_HADRON_OK;
}

/* Target photons, number per cell. */
static int bml_hadron__meet_photons(bml_hadron_blob *blob, const bml_hadron_field *f) {
    int bad = 0;
    for (int k = 0; k < blob->n_photons; k++) {
        double n = f->n[k] * f->dilution;
        if (f->outside) {
            n += f->outside[k];
        }
        blob->P[k] = n * f->x[k] * blob->tab->h;
        if (!(n >= 0 && n < HUGE_VAL)) {
            bad = 1; /* no NaN here: gcc makes such a loop the larger of two constants */
        }
    }
    bml_hadron__suffixes(blob);
    if (!bad) {
        return BML_HADRON_OK;
    }
    return bml_hadron__fail(blob->message, BML_HADRON_PARAMETER, "photons: must be finite and not negative");
}

static void bml_hadron__enter(bml_hadron_blob *blob, int which, double rate) {
    bml_hadron__ledger *l = &blob->ledger[which];
    l->now = (blob->a1 * l->last + blob->a2 * l->before + blob->dt * rate) / blob->a0;
}

static double bml_hadron__total(const double *a, int n) {
    double sum = 0;
    for (int k = 0; k < n; k++)
        sum += a[k];
    return sum;
}

/* Where energy went in this step, integrated by the same formula as the state. lost: off the grids. */
static void bml_hadron__keep_books(bml_hadron_blob *blob, double escape, double expansion, double bottom, double lost) {
    double injected = 0;
    double stored = 0;
    double given = 0;
    double turned = 0;
    for (int i = 0; i < blob->n_protons; i++) {
        double E = BML_HADRON__M * blob->gamma[i];
        injected += blob->Q[i] * E;
        stored += blob->M[i] * E;
        turned += blob->M[i] * E * blob->turn[i];
        for (int k = 0; k < BML_HADRON__PROCESSES; k++)
            given += blob->M[i] * E * blob->process[k][i];
    }
    double light = bml_hadron__total(blob->light, blob->n_photons);
    double pairs = bml_hadron__total(blob->pairs, blob->cells);
    double face = BML_HADRON__MAX(1.0, blob->gamma[0] * exp(-0.5 * blob->tab->h));
    bml_hadron__enter(blob, BML_HADRON__INJECTED, injected);
    bml_hadron__enter(blob, BML_HADRON__ESCAPED, stored / escape);
    bml_hadron__enter(blob, BML_HADRON__TO_PHOTONS, light);
    bml_hadron__enter(blob, BML_HADRON__TO_PAIRS, pairs);
    bml_hadron__enter(blob, BML_HADRON__TO_NEUTRINOS, given - light - pairs - lost);
    bml_hadron__enter(blob, BML_HADRON__TO_NEUTRONS, turned);
    bml_hadron__enter(blob, BML_HADRON__COOLED, bottom * face * BML_HADRON__M);
    bml_hadron__enter(blob, BML_HADRON__WORK, stored * expansion);
    bml_hadron__enter(blob, BML_HADRON__LOST, lost);
}

/* Leptons of pions, one species after another, with what their parents shine. */
static void bml_hadron__shine_cooled(bml_hadron_blob *blob, double *lost) {
    double cells[BML_HADRON__CELLS];
    for (int s = BML_HADRON_POSITRON; s < BML_HADRON_BETHE_HEITLER; s++) {
        bml_hadron__emit(cells, lost, blob, s);
        bml_hadron__survive(cells, blob->light, lost, blob, s);
        int charged = s == BML_HADRON_POSITRON || s == BML_HADRON_ELECTRON;
        for (int c = 0; c < blob->cells && charged; c++)
            blob->pairs[c] += cells[c];
    }
}

/* light and pairs [cells] of the present protons; what the grids have no room for is taken out and returned. */
static double bml_hadron__shine(bml_hadron_blob *blob) {
    double lost = 0;
    int cooled = blob->src.cooling;
    bml_hadron__clear(blob->light, blob->cells);
    bml_hadron__clear(blob->pairs, blob->cells);
    if (bml_hadron__on(blob, BML_HADRON_PHOTOPION)) {
        bml_hadron__emit_kernel(blob->light, &lost, blob, BML_HADRON_GAMMA);
    }
    if (bml_hadron__on(blob, BML_HADRON_PHOTOPION) && !cooled) {
        bml_hadron__emit_kernel(blob->pairs, &lost, blob, BML_HADRON__BOTH);
    }
    if (bml_hadron__on(blob, BML_HADRON_PAIRS)) {
        bml_hadron__emit_kernel(blob->pairs, &lost, blob, BML_HADRON__BH);
    }
    if (blob->gas_now > 0) {
        bml_hadron__emit_gas(blob->light, &lost, blob, BML_HADRON__GAS_GAMMA, 1);
    }
    if (blob->gas_now > 0 && !cooled) {
        bml_hadron__emit_gas(blob->pairs, &lost, blob, BML_HADRON__GAS_MUON, 1);
    }
    if (cooled) {
        bml_hadron__shine_cooled(blob, &lost);
    }
    bml_hadron__emit_synchrotron(blob->light, &lost, blob);
    for (int c = 0; c < blob->cells; c++) {
        if (c >= blob->n_photons) {
            lost += blob->light[c];
            blob->light[c] = 0;
        }
        if (c < blob->e0 || c >= blob->e0 + blob->n_electrons) {
            lost += blob->pairs[c];
            blob->pairs[c] = 0;
        }
    }
    return lost;
}

BML_HADRON_DEF int bml_hadron_exchange(bml_hadron_blob *blob, const bml_hadron_field *f) {
    if (!blob || !f || !f->gamma || !f->width || !f->x || !f->n || !f->electrons || !f->photons) {
        return BML_HADRON_BAD_ARGUMENT;
    }
    if (blob->started != 1 && blob->started != 2) {
        return bml_hadron__fail(blob->message, BML_HADRON_TIME, "exchange: bml_hadron_begin has not succeeded");
    }
    int status = blob->started == 1 ? bml_hadron__lay(blob, f) : BML_HADRON_OK;
    if (!status && (f->n_photons != blob->n_photons || f->n_electrons != blob->n_electrons)) {
        status = bml_hadron__fail(blob->message, BML_HADRON_GRID, "%d electrons, %d photons: must stay %d, %d",
                                  f->n_electrons, f->n_photons, blob->n_electrons, blob->n_photons);
    }
    if (!status && f->pass == 0) {
        status = bml_hadron__turn_page(blob, f);
    }
    if (!status) {
        status = bml_hadron__meet_photons(blob, f);
    }
    if (!status && !(f->R > 0 && f->B >= 0)) {
        status = bml_hadron__fail(blob->message, BML_HADRON_PARAMETER, "R = %g, B = %g: must be positive", f->R, f->B);
    }
    if (status) {
        blob->started = 0;
        return status;
    }
    if (fabs(f->B - blob->B_now) > 1e-12 * f->B) {
        bml_hadron__set_field(blob, blob->src.R, f->B);
    }
    if (!bml_hadron__on(blob, BML_HADRON_SYNCHROTRON_LIGHT)) {
        blob->line_n = 0;
    }
    blob->ln_R[0] = log(f->R);
    double expansion = BML_HADRON__MAX(0.0, (blob->ln_R[0] - blob->ln_R[1]) / f->dt);
    double escape = blob->src.escape * f->R / blob->src.R;
    int gas = bml_hadron__on(blob, BML_HADRON_GAS);
    blob->gas_now = gas ? blob->src.gas * BML_HADRON__SIGMA_T * blob->src.R * f->dilution : 0;
    bml_hadron__losses(blob, expansion);
    for (int i = 0; i < blob->n_protons; i++) {
        double u = blob->a1 * blob->M1[i] + blob->a2 * blob->M2[i];
        blob->S[i] = blob->Q[i] + (u > 0 ? u : blob->M1[i]) / f->dt;
    }
    double bottom = bml_hadron__cool(blob, blob->a0 / f->dt + 1 / escape);
    double lost = bml_hadron__shine(blob);
    for (int k = 0; k < blob->n_photons; k++)
        f->photons[k] += blob->light[k] / (blob->tab->h * f->x[k] * f->x[k]);
    for (int i = 0; i < blob->n_electrons; i++)
        f->electrons[i] += blob->pairs[blob->e0 + i] / (f->gamma[i] * f->width[i]);
    bml_hadron__keep_books(blob, escape, expansion, bottom, lost);
    return BML_HADRON_OK;
}

/* >> plain arrays ----------------------------------------------------------------------------------------------------
   The same kernels on a lattice of their own, whose unit of length makes sigma_T R = 1 cm^3. */

/* Log-log interpolation in a growing table; 0 outside, or where it has a zero. */
static double bml_hadron__table(double v, const double *at, const double *value, int n) {
    if (!(v >= at[0] && v <= at[n - 1])) {
        return 0;
    }
    int lo = 0;
    int hi = n - 1;
    while (hi - lo > 1) {
        int mid = (lo + hi) / 2;
        *(v < at[mid] ? &hi : &lo) = mid;
    }
    if (!(value[lo] > 0 && value[hi] > 0)) {
        return 0;
    }
    double w = log(v / at[lo]) / log(at[hi] / at[lo]);
    return value[lo] * pow(value[hi] / value[lo], w);
}

static int bml_hadron__check_table(char *why, const char *name, const double *at, const double *value, int n, double lo,
                                   double hi) {
    if (n < 2) {
        return bml_hadron__fail(why, BML_HADRON_SPECTRUM, "%s: %d points, must be at least two", name, n);
    }
    for (int i = 0; i < n; i++) {
        if (!(at[i] >= lo && at[i] <= hi)) {
            return bml_hadron__fail(why, BML_HADRON_SPECTRUM, "%s[%d] = %g: must be in [%g, %g]", name, i, at[i], lo,
                                    hi);
        }
        if (i > 0 && !(at[i] > at[i - 1])) {
            return bml_hadron__fail(why, BML_HADRON_SPECTRUM, "%s[%d] = %g: must grow", name, i, at[i]);
        }
        if (!(value[i] >= 0 && value[i] < HUGE_VAL)) {
            return bml_hadron__fail(why, BML_HADRON_SPECTRUM, "%s[%d] = %g: its density %g must be finite, >= 0", name,
                                    i, at[i], value[i]);
        }
    }
    return BML_HADRON_OK;
}

static int bml_hadron__check_given(char *why, const bml_hadron_given *g) {
    if (!(g->B >= 0 && g->B <= 1e15)) {
        return bml_hadron__fail(why, BML_HADRON_PARAMETER, "B = %g: must be in [0, 1e15]", g->B);
    }
    if (!(g->gas >= 0 && g->gas <= 1e30)) {
        return bml_hadron__fail(why, BML_HADRON_PARAMETER, "gas = %g: must be in [0, 1e30]", g->gas);
    }
    int status = bml_hadron__check_table(why, "gamma", g->gamma, g->N, g->n_gamma, 1, 1e12);
    if (status || !g->x) {
        return status;
    }
    return bml_hadron__check_table(why, "x", g->x, g->n, g->n_x, 1e-24, 1e15);
}

BML_HADRON_DEF int bml_hadron_rates(bml_hadron_blob *blob, const bml_hadron_given *g) {
    if (!blob || !g || !g->gamma || !g->N || (g->x && !g->n)) {
        return BML_HADRON_BAD_ARGUMENT;
    }
    blob->started = 0;
    blob->message[0] = 0;
    int status = bml_hadron__check_given(blob->message, g);
    if (status) return status;
    double h = blob->tab->h;
    double gamma_max = g->gamma[g->n_gamma - 1];
    double R = 1 / BML_HADRON__SIGMA_T;
    double half = exp(0.5 * h);
    int most = bml_hadron__most_cells(blob->tab) - 3;
    memset(&blob->src, 0, sizeof blob->src);
    blob->src.neutrons = 1;
    double top = log(BML_HADRON__M * gamma_max);
    double above = g->x ? log(g->x[g->n_x - 1]) : top;
    int room = above > top ? (int)ceil((above - top) / h) : 0; /* photons beyond all protons */
    blob->n_photons = most - 1;
    blob->n_electrons = blob->e0 = 0;
    blob->lx0 = top + h * (room - most + 1.5);
    bml_hadron__place(blob, gamma_max);
    bml_hadron__kernels(blob);
    blob->gas_now = g->gas;
    if (g->gas > 0) {
        bml_hadron__kernels_gas(blob);
    }
    bml_hadron__set_field(blob, R, g->B);
    for (int i = 0; i < blob->n_protons; i++) {
        double lo = BML_HADRON__MAX(blob->gamma[i] / half, g->gamma[0]);
        double hi = BML_HADRON__MIN(blob->gamma[i] * half, gamma_max);
        double at = hi > lo ? sqrt(lo * hi) : 0;
        double energy = at > 0 ? at * at * bml_hadron__table(at, g->gamma, g->N, g->n_gamma) * log(hi / lo) : 0;
        blob->M[i] = energy / blob->gamma[i];
    }
    for (int k = 0; k < blob->n_photons; k++) {
        double x = exp(blob->lx0 + h * k);
        double lo = g->x ? BML_HADRON__MAX(x / half, g->x[0]) : 1;
        double hi = g->x ? BML_HADRON__MIN(x * half, g->x[g->n_x - 1]) : 1;
        double at = hi > lo ? sqrt(lo * hi) : 0;
        blob->P[k] = at > 0 ? bml_hadron__table(at, g->x, g->n, g->n_x) * at * log(hi / lo) : 0;
    }
    bml_hadron__suffixes(blob);
    bml_hadron__losses(blob, 0);
    blob->unit = BML_HADRON__C / R;
    blob->started = 3;
    return BML_HADRON_OK;
}

BML_HADRON_DEF const char *bml_hadron_message(const bml_hadron_blob *blob) {
    return blob ? blob->message : "";
}

/* >> output ----------------------------------------------------------------------------------------------------------
   Reading a blob changes nothing in it: each species is summed on the stack. */

static int bml_hadron__readable(const bml_hadron_blob *blob) {
    return blob->started == 3 || (blob->started == 2 && blob->steps > 0);
}

/* v [n] at ln_at, straight lines in log-log; v stands at from + h k. */
static double bml_hadron__evaluate(const double *v, int n, double from, double h, double ln_at) {
    double u = (ln_at - from) / h;
    if (!(u >= -1e-6 && u <= n - 1 + 1e-6) || n < 2) {
        return -HUGE_VAL;
    }
    int k = bml_hadron__clamp((int)u, 0, n - 2);
    if (!(v[k] > 0 && v[k + 1] > 0)) {
        return -HUGE_VAL;
    }
    return log(v[k]) + (u - k) * log(v[k + 1] / v[k]);
}

/* Energy of a species per cell: cells [CELLS]. */
static void bml_hadron__gather(double *cells, const bml_hadron_blob *blob, int species) {
    double lost = 0; /* off the lattice: nobody asks */
    if (species != BML_HADRON_NEUTRINOS) {
        bml_hadron__emit(cells, &lost, blob, species);
        if (blob->src.cooling && species > BML_HADRON_GAMMA && species < BML_HADRON_BETHE_HEITLER) {
            bml_hadron__survive(cells, NULL, NULL, blob, species);
        }
        return;
    }
    static const int all[] = {BML_HADRON_ANTI_NU_MU, BML_HADRON_NU_MU, BML_HADRON_NU_E, BML_HADRON_ANTI_NU_E};
    double one[BML_HADRON__CELLS];
    bml_hadron__clear(cells, blob->cells);
    for (int s = 0; s < 4; s++) {
        bml_hadron__gather(one, blob, all[s]);
        for (int c = 0; c < blob->cells; c++)
            cells[c] += one[c];
    }
}

BML_HADRON_DEF int bml_hadron_spectrum(double *log10_e2Q, const double *log10_e, int n, const bml_hadron_blob *blob,
                                       bml_hadron_species species) {
    int which = (int)species;
    if (!log10_e2Q || !log10_e || n < 1 || !blob || which < 0 || which >= BML_HADRON_SPECIES) {
        return BML_HADRON_BAD_ARGUMENT;
    }
    if (!bml_hadron__readable(blob)) {
        return BML_HADRON_TIME;
    }
    double cells[BML_HADRON__CELLS];
    double h = blob->tab->h;
    bml_hadron__gather(cells, blob, which);
    for (int i = 0; i < n; i++) {
        double ln = bml_hadron__evaluate(cells, blob->cells, blob->lx0, h, log10_e[i] * BML_HADRON__LN10);
        log10_e2Q[i] = (ln + log(blob->unit / h)) / BML_HADRON__LN10;
    }
    return BML_HADRON_OK;
}

BML_HADRON_DEF int bml_hadron_protons(double *log10_g2N, const double *log10_gamma, int n,
                                      const bml_hadron_blob *blob) {
    if (!log10_g2N || !log10_gamma || n < 1 || !blob) {
        return BML_HADRON_BAD_ARGUMENT;
    }
    if (!bml_hadron__readable(blob)) {
        return BML_HADRON_TIME;
    }
    double from = log(blob->gamma[0]);
    double curve[BML_HADRON__CELLS];
    for (int i = 0; i < blob->n_protons; i++)
        curve[i] = blob->M[i] / blob->width[i] * blob->gamma[i] * blob->gamma[i];
    for (int i = 0; i < n; i++) {
        double ln_at = log10_gamma[i] * BML_HADRON__LN10;
        log10_g2N[i] = bml_hadron__evaluate(curve, blob->n_protons, from, blob->tab->h, ln_at) / BML_HADRON__LN10;
    }
    return BML_HADRON_OK;
}

BML_HADRON_DEF int bml_hadron_losses(double *rate, const double *log10_gamma, int n, const bml_hadron_blob *blob,
                                     int process) {
    static const int bits[] = {BML_HADRON_PHOTOPION, BML_HADRON_PAIRS, BML_HADRON_GAS, BML_HADRON_SYNCHROTRON_LIGHT};
    int which = 0;
    while (which < BML_HADRON__PROCESSES && bits[which] != process)
        which++;
    if (!rate || !log10_gamma || n < 1 || !blob || which == BML_HADRON__PROCESSES) {
        return BML_HADRON_BAD_ARGUMENT;
    }
    if (!bml_hadron__readable(blob)) {
        return BML_HADRON_TIME;
    }
    double from = log(blob->gamma[0]);
    for (int i = 0; i < n; i++) {
        double ln_at = log10_gamma[i] * BML_HADRON__LN10;
        double ln = bml_hadron__evaluate(blob->process[which], blob->n_protons, from, blob->tab->h, ln_at);
        rate[i] = exp(ln) * blob->unit;
    }
    return BML_HADRON_OK;
}

/* Luminosity distance [cm] in flat LambdaCDM; NaN outside. */
static double bml_hadron__distance(double z, double H0, double omega_m) {
    double sum = 0;
    if (!(z > 0 && z < 1e4 && H0 > 0 && H0 < HUGE_VAL && omega_m > 0 && omega_m <= 1)) {
        return (double)NAN;
    }
    int pieces = 1 + (int)(2 * log1p(z));
    double half = 0.5 * log1p(z) / pieces; /* int dz/E(z), in ln(1 + z) */
    for (int i = 0; i < 8 * pieces; i++) {
        double y = exp(half * (2 * (i / 8) + 1 + bml_hadron__node(i)));
        sum += half * bml_hadron__weight(i) * y / sqrt(omega_m * y * y * y + 1 - omega_m);
    }
    return (1 + z) * sum * BML_HADRON__C / (H0 * 1e5) * BML_HADRON__MPC;
}

/* Defaults and checks of an observer; *distance in cm. */
static int bml_hadron__observer(double *distance, double *delta, const bml_hadron_observer *o) {
    *delta = o->delta == 0 ? 1 : o->delta;
    *distance = o->distance;
    if (!(o->redshift >= 0 && o->redshift < 1e4) || !(*delta > 0 && *delta < 1e6)) {
        return BML_HADRON_PARAMETER;
    }
    if (o->flavours < 0 || o->flavours > 2) {
        return BML_HADRON_PARAMETER;
    }
    double H0 = o->H0 == 0 ? 70 : o->H0;
    double omega_m = o->omega_m == 0 ? 0.3 : o->omega_m;
    if (*distance == 0) {
        *distance = bml_hadron__distance(o->redshift, H0, omega_m);
    }
    return *distance > 0 && *distance < HUGE_VAL ? BML_HADRON_OK : BML_HADRON_PARAMETER;
}

/* |U|^2, rows e, mu, tau: NuFIT 5.2 (Esteban et al. 2020, JHEP 09, 178; 2022 update), normal ordering with
   Super-Kamiokande: sin^2 theta_12 = 0.303, _23 = 0.451, _13 = 0.02225, delta_CP = 232 degrees. */
static const double bml_hadron__mixing[3][3] = {
    {0.6815, 0.2963, 0.0222}, {0.1313, 0.4277, 0.4410}, {0.1872, 0.2760, 0.5368}};

/* P [3][3]: probability that flavour a arrives as b. */
static void bml_hadron__mix(double P[3][3], int flavours) {
    for (int a = 0; a < 3; a++) {
        for (int b = 0; b < 3; b++) {
            double sum = 0;
            for (int i = 0; i < 3; i++)
                sum += bml_hadron__mixing[a][i] * bml_hadron__mixing[b][i];
            if (flavours == 1) {
                sum = 1.0 / 3;
            }
            if (flavours == 2) {
                sum = a == b;
            }
            P[a][b] = sum;
        }
    }
}

/* nu L_nu [erg/s] per x^2 Q (9). */
static double bml_hadron__luminosity_unit(const bml_hadron_blob *blob) {
    double volume = 4 * BML_HADRON__PI * blob->src.R / 3;
    return volume * BML_HADRON__MC2 * BML_HADRON__C / BML_HADRON__SIGMA_T;
}

BML_HADRON_DEF int bml_hadron_neutrinos(double *flux, const double *log10_GeV, int n, const bml_hadron_blob *blob,
                                        const bml_hadron_observer *observer) {
    static const int pair[2][2] = {{BML_HADRON_NU_E, BML_HADRON_ANTI_NU_E}, {BML_HADRON_NU_MU, BML_HADRON_ANTI_NU_MU}};
    if (!flux || !log10_GeV || n < 1 || !blob || !observer) {
        return BML_HADRON_BAD_ARGUMENT;
    }
    if (!bml_hadron__readable(blob) || blob->started == 3) {
        return BML_HADRON_TIME;
    }
    double d;
    double delta;
    int status = bml_hadron__observer(&d, &delta, observer);
    if (status) return status;
    double P[3][3];
    bml_hadron__mix(P, observer->flavours);
    double h = blob->tab->h;
    double scale = bml_hadron__luminosity_unit(blob) * pow(delta, 4) / (4 * BML_HADRON__PI * d * d);
    scale /= BML_HADRON__ERG_PER_GEV * h;
    double shift = log((1 + observer->redshift) / delta * BML_HADRON__GEV);
    double cells[2][BML_HADRON__CELLS];
    double anti[BML_HADRON__CELLS];
    for (int a = 0; a < 2; a++) {
        bml_hadron__gather(cells[a], blob, pair[a][0]);
        bml_hadron__gather(anti, blob, pair[a][1]);
        for (int c = 0; c < blob->cells; c++)
            cells[a][c] += anti[c];
    }
    for (int i = 0; i < n; i++) {
        double ln_at = log10_GeV[i] * BML_HADRON__LN10 + shift;
        double e = scale * exp(bml_hadron__evaluate(cells[0], blob->cells, blob->lx0, h, ln_at));
        double mu = scale * exp(bml_hadron__evaluate(cells[1], blob->cells, blob->lx0, h, ln_at));
        for (int b = 0; b < 3; b++)
            flux[b * n + i] = e * P[0][b] + mu * P[1][b];
    }
    return BML_HADRON_OK;
}

BML_HADRON_DEF int bml_hadron_events(double *events, const bml_hadron_area *area, double seconds,
                                     const bml_hadron_blob *blob, const bml_hadron_observer *observer) {
    enum { STEPS = 16 };
    const double steps = STEPS;
    if (!events || !area || !area->log10_GeV || !area->cm2 || area->n < 2) {
        return BML_HADRON_BAD_ARGUMENT;
    }
    if (!(seconds >= 0 && seconds < HUGE_VAL)) {
        return BML_HADRON_PARAMETER;
    }
    *events = 0;
    for (int i = 0; i + 1 < area->n; i++) {
        double lo = area->log10_GeV[i];
        double step = (area->log10_GeV[i + 1] - lo) / steps;
        double a = area->cm2[i];
        double b = area->cm2[i + 1];
        if (!(step > 0 && a >= 0 && b >= 0 && a < HUGE_VAL && b < HUGE_VAL)) {
            return BML_HADRON_PARAMETER;
        }
        double at[STEPS];
        double flux[3 * STEPS];
        for (int k = 0; k < STEPS; k++)
            at[k] = lo + (k + 0.5) * step;
        int status = bml_hadron_neutrinos(flux, at, STEPS, blob, observer);
        if (status) return status;
        for (int k = 0; k < STEPS && a > 0 && b > 0; k++) {
            double cm2 = a * pow(b / a, (k + 0.5) / steps);
            double per_ln = flux[STEPS + k] * pow(10, -at[k]);
            *events += seconds * cm2 * per_ln * step * BML_HADRON__LN10;
        }
    }
    return BML_HADRON_OK;
}

BML_HADRON_DEF double bml_hadron_log_poisson(int n, double expected) {
    if (n < 0 || !(expected >= 0)) {
        return (double)NAN;
    }
    if (expected == 0) {
        return n == 0 ? 0 : -HUGE_VAL;
    }
    double sum = -expected;
    for (int k = 1; k <= n; k++)
        sum += log(expected / k);
    return sum;
}

BML_HADRON_DEF int bml_hadron_energy(bml_hadron_balance *out, const bml_hadron_blob *blob) {
    if (!out || !blob) {
        return BML_HADRON_BAD_ARGUMENT;
    }
    if (!bml_hadron__readable(blob) || blob->started == 3) {
        return BML_HADRON_TIME;
    }
    const bml_hadron__ledger *ledger = blob->ledger;
    memset(out, 0, sizeof *out);
    for (int i = 0; i < blob->n_protons; i++)
        out->protons += blob->M[i] * blob->gamma[i] * BML_HADRON__M;
    out->injected = ledger[BML_HADRON__INJECTED].now;
    out->escaped = ledger[BML_HADRON__ESCAPED].now;
    out->photons = ledger[BML_HADRON__TO_PHOTONS].now;
    out->pairs = ledger[BML_HADRON__TO_PAIRS].now;
    out->neutrinos = ledger[BML_HADRON__TO_NEUTRINOS].now;
    out->neutrons = ledger[BML_HADRON__TO_NEUTRONS].now;
    out->cooled = ledger[BML_HADRON__COOLED].now;
    out->expansion = ledger[BML_HADRON__WORK].now;
    out->lost = ledger[BML_HADRON__LOST].now;
    double made = out->photons + out->pairs + out->neutrinos + out->neutrons;
    double rest = out->protons + out->escaped + out->cooled + out->expansion + out->lost;
    out->residual = 1 - (made + rest) / out->injected;
    return BML_HADRON_OK;
}

BML_HADRON_DEF int bml_hadron_derive(bml_hadron_derived *out, const bml_hadron_blob *blob) {
    if (!out || !blob) {
        return BML_HADRON_BAD_ARGUMENT;
    }
    if (!bml_hadron__readable(blob) || blob->started == 3) {
        return BML_HADRON_TIME;
    }
    const bml_hadron_source *s = &blob->src;
    const double muon = 206.7682830; /* mass over m_e */
    const double life = 2.1969811e-6;
    double stored = 0;
    double given = 0;
    for (int i = 0; i < blob->n_protons; i++) {
        double E = blob->M[i] * blob->gamma[i] * BML_HADRON__M;
        stored += E;
        for (int k = 0; k < BML_HADRON__PROCESSES; k++)
            given += E * blob->process[k][i];
    }
    double R = exp(blob->ln_R[0]);
    double rho = R / s->R;
    double unit = bml_hadron__luminosity_unit(blob);
    double light = bml_hadron__total(blob->light, blob->n_photons);
    double pairs = bml_hadron__total(blob->pairs, blob->cells);
    out->U_p = stored * BML_HADRON__MC2 / (BML_HADRON__SIGMA_T * s->R * rho * rho * rho);
    out->L_injected = s->L_p;
    out->L_photons = unit * light;
    out->L_pairs = unit * pairs;
    out->L_neutrinos = unit * BML_HADRON__MAX(0.0, given - light - pairs);
    out->efficiency = unit * given / s->L_p;
    out->gamma_max_B = BML_HADRON__E * blob->B_now * R / (BML_HADRON__M * BML_HADRON__MC2);
    double end = s->gamma_max;
    if (s->injection == BML_HADRON_CUTOFF) {
        end = BML_HADRON__MIN(end, s->gamma_break);
    }
    double gamma = 0.15 * end * BML_HADRON__M / muon;
    double U_B = blob->B_now * blob->B_now / (8 * BML_HADRON__PI);
    double loss = 4.0 / 3 * BML_HADRON__SIGMA_T * BML_HADRON__C * U_B / BML_HADRON__MC2 * gamma / (muon * muon * muon);
    out->muon_cooling = loss * gamma * life;
    return BML_HADRON_OK;
}

#ifdef BML_HADRON__OWN_MALLOC
#undef BML_HADRON__OWN_MALLOC
#undef BML_HADRON_MALLOC
#undef BML_HADRON_FREE
#endif
#undef BML_HADRON__RESTRICT
#undef BML_HADRON__B_CRIT
#undef BML_HADRON__C
#undef BML_HADRON__E
#undef BML_HADRON__ERG_PER_GEV
#undef BML_HADRON__ETA_0
#undef BML_HADRON__GAS_NODES
#undef BML_HADRON__GEV
#undef BML_HADRON__LN10
#undef BML_HADRON__LN2
#undef BML_HADRON__LOG_GAMMA_HIGH
#undef BML_HADRON__LOG_TOP
#undef BML_HADRON__LOG_X_LOW
#undef BML_HADRON__M
#undef BML_HADRON__MAX
#undef BML_HADRON__MC2
#undef BML_HADRON__MIN
#undef BML_HADRON__MPC
#undef BML_HADRON__PI
#undef BML_HADRON__ADD
#undef BML_HADRON__FINE
#undef BML_HADRON__LANES
#undef BML_HADRON__ROWS
#undef BML_HADRON__GROUP
#undef BML_HADRON__MARGIN
#undef BML_HADRON__QUICK
#undef BML_HADRON__R
#undef BML_HADRON__RHO_HIGH
#undef BML_HADRON__SIGMA_T
#undef BML_HADRON__TEV
#undef BML_HADRON__TWO_PIONS
#undef BML_HADRON__W_HIGH
#undef BML_HADRON__X_LOW
#undef BML_HADRON__GAS_LOW
#undef BML_HADRON__Y_HIGH
#undef BML_HADRON__Y_LOW
#undef BML_HADRON__ZETA_HIGH
#undef BML_HADRON__ZETA_LOW

#endif /* BML_HADRON_IMPLEMENTATION */

/* HISTORY
   0.1.0  protons, photopion and Bethe-Heitler pairs, p-p, neutrons, neutrinos, the hook to bml_ssc.h

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
