/* bml_mcmc.h - posterior samplers and their diagnostics, in one file of C.

   An affine-invariant ensemble sampler (stretch, walk, differential evolution, snooker, and proposals from the
   ensemble's own density), with priors, convergence diagnostics and calibration tests that all samplers share.

       #define BML_MCMC_IMPLEMENTATION      (in exactly one .c or .cpp file)
       #include "bml_mcmc.h"

   A complete program, a correlated Gaussian in two dimensions:

       #include <stdio.h>
       #define BML_MCMC_IMPLEMENTATION
       #include "bml_mcmc.h"
       static void log_prob(double *lp, const double *x, int n, int n_dim, void *user) {
           (void)user;
           for (int i = 0; i < n; i++, x += n_dim) lp[i] = -0.5 * (x[0] * x[0] + (x[1] - x[0]) * (x[1] - x[0]));
       }
       int main(void) {
           bml_mcmc_config config = { .n_dim = 2, .n_walkers = 32, .log_prob = log_prob };
           double center[2] = { 0, 0 }, radius[2] = { 1, 1 };
           bml_mcmc_summary s[2];
           bml_mcmc_ensemble *e;
           int status = bml_mcmc_ensemble_create(&e, &config);
           if (!status) status = bml_mcmc_start_ball(e, center, radius);
           if (!status) status = bml_mcmc_run(e, 2000);
           if (!status) status = bml_mcmc_ensemble_summary(e, s, 200);
           if (status) printf("%s: %s\n", bml_mcmc_strerror(status), bml_mcmc_ensemble_message(e));
           else printf("y = %.3f -%.3f +%.3f (tau %.1f)\n", s[1].median, s[1].minus, s[1].plus, s[1].tau);
           bml_mcmc_ensemble_free(e);
           return status != 0;
       }

   It refuses: fewer than 2 n_dim walkers or an odd number; starts that span less than the whole space; a NaN or
   +infinite log-probability (the message names the point); and to call a chain converged that is shorter than 50
   autocorrelation times or whose walkers disagree (BML_MCMC_NOT_CONVERGED comes with the estimates).
   Link with -lm. No input or output, no globals, no threads of its own, no clock: the same seed is the same chain. */

/* SETUP, USE, SHUTDOWN

   1. Write the log-probability (log prior + log likelihood, any constant left out) for n points at once:
          void f(double *log_prob, const double *theta, int n, int n_dim, void *user);
      log_prob[n], theta[n][n_dim]. It may thread over the n points. -INFINITY is "impossible here" and a rejection.
   2. bml_mcmc_ensemble_create(&e, &config), zero members meaning the defaults written beside them. A refused
      configuration still gives an object, whose message says why; free it like any other.
   3. bml_mcmc_start_ball, bml_mcmc_start_prior or bml_mcmc_start_given.
   4. bml_mcmc_run(e, n_steps), as often as wanted: 100 steps and then 200 are the same chain as 300.
      One step proposes one move to every walker: n_walkers evaluations in two calls of f.
   5. bml_mcmc_ensemble_summary(e, out, burn) for median, errors, ESS, R-hat and tau of every parameter;
      bml_mcmc_ensemble_chain(e) for the numbers themselves. While it returns BML_MCMC_NOT_CONVERGED, go to 4.
   6. bml_mcmc_ensemble_save / _load around a stop; bml_mcmc_ensemble_free at the end.

   OPTIONS

   BML_MCMC_IMPLEMENTATION          this file gives the functions, not only their declarations
   BML_MCMC_STATIC                  all functions static (define with the above)
   BML_MCMC_MALLOC(n), BML_MCMC_REALLOC(p, n), BML_MCMC_FREE(p)     all three or none; default: the C library's

   MATHEMATICS

   Ensemble. n_walkers points are updated in two halves, chosen at random in each step: a walker X of one half is
   offered Y made with the help of the other half C, which stands still meanwhile, and takes it with probability
       min(1, exp(h + log p(Y) - log p(X))),      h = log of the Hastings factor of the move.
   Since C does not move, each half-step leaves the product of the p's invariant whatever is computed from C
   (Goodman & Weare 2010, CAMCoS 5, 65; Foreman-Mackey et al. 2013, PASP 125, 306, section 3). d = n_dim, u uniform
   in (0,1), c, c1, c2 different members of C:
   - stretch  Y = c + z (X - c), z = (1 + (a-1) u)^2 / a, h = (d-1) log z; a = scale = 2. (Goodman & Weare eq. 7, 9)
   - walk     Y = X + scale sum_j n_j (c_j - mean)/sqrt(s-1) over s = count = 3 members of C, n_j normal; h = 0. (eq. 11;
              the 1/sqrt(s-1) makes the step's covariance that of the s members)
   - DE       Y = X + g (c1 - c2), g = scale (0.9 + 0.2 u), scale = 2.38/sqrt(2 d), in one of ten g = 1, which
              jumps between modes; h = 0. (ter Braak 2006, Stat. Comput. 16, 239, eq. 2; the spread in g takes the
              place of his small noise and keeps the move affine-invariant)
   - snooker  Y = X + scale e (e . (c1 - c2)), e = (X - c)/|X - c|, h = (d-1) log(|Y - c|/|X - c|), scale = 1.7.
              (ter Braak & Vrugt 2008, Stat. Comput. 18, 435, eq. 4-5: e is a unit vector, the exponent is d-1)
   - KDE      Y from a Gaussian kernel density of C: covariance of C times (scale n^(-1/(d+4)))^2, n = |C|, scale = 1;
              h = log q(X) - log q(Y).
   - mixture  Y from a mixture of `count` multivariate t densities fitted to C by expectation maximisation, covariances
              shrunk towards that of C; h = log q(X) - log q(Y). See "moves from the ensemble's density" below.
   - surrogate  Y from X by `count` stretch and DE steps (with reference points, a share `scale` of mixture steps too)
              that are accepted by a cheap approximation s of p; h = log s(X) - log s(Y). Those steps leave s invariant
              and are reversible with respect to it, whatever s is, so that the answer is that of p alone; a better s
              raises the acceptance. Where s is far below p walkers arrive seldom and stay long: s must not have lighter
              tails than p, and plain moves belong beside it. (delayed acceptance, Christen & Fox 2005, J. Comput.
              Graph. Stat. 14, 795; the surrogate transition method of Liu 2001, section 9.4.3)
   The first four are local and cost next to nothing (0.1-0.3 microseconds at 8 dimensions). KDE and mixture jump anywhere in one step
   and cost 1-20 microseconds: right when the log-probability costs more, dims are few (up to about ten) and walkers
   many (ten times the dimensions and more): tau falls as walkers are added, on the curved 8-D target of
   tests/bench_mcmc.c from 110 steps with 100 walkers to 30 with 400 (mixture alone; default moves: 290, 150). They are seldom
   accepted far from the bulk, so mix them with a share of local moves, such as { mixture 0.8, DE 0.2 }.
   When NOT to use an ensemble: beyond some 30 dimensions (Huijser et al. 2015, arXiv:1509.02230: it looks converged
   and is not); with well separated modes, whose weights it does not find unless the mixture or g = 1 bridges them;
   for evidences.

   Integrated autocorrelation time (Sokal 1997, in Functional Integration, Plenum, section 3). rho(t) is the mean over
   walkers of each walker's normalised autocorrelation; tau(M) = 1 + 2 sum_{t=1}^{M} rho(t), with the smallest M >= 5 tau(M).
   A walker that never moved counts as rho = 1. Relative error about sqrt(2 (2M+1)/(n_steps n_walkers)) at best.
   ESS = n_steps n_walkers / tau. Where tails mix far more slowly than the bulk (thin arms, funnels) the window closes before
   the slow part is summed, and tau of quantities that live in the tails is too small, by factors of two to four: then
   trust the scatter of independent runs with other seeds.
   Split R-hat (Gelman et al. 2013, BDA3, eq. 11.4): every walker's chain cut in two, between- against within-variance.
   Chains as long as 50 tau have R-hat of about sqrt(1 + 2/50) = 1.02; more than 1.1 is refused as well.

   Priors. Parameters stand in order; number i has a base density b_i and may have bounds [lo_i, hi_i] that depend on the
   parameters before it. Two meanings, and the difference matters:
   - conditional (default): p = prod b_i(theta_i) / mass_i, mass_i = integral of b_i over [lo_i, hi_i]. For uniform
     parameters the joint density is then 1/(hi - lo): NOT flat, higher where the interval is short.
   - joint (set `joint` on every parameter that a later one's bounds depend on): p = prod b_i / Z on the region and
     zero outside: flat for uniform parameters. The unit-cube transform takes the matching marginals,
         p(theta_i | before) ~ b_i(theta_i) M_{i+1}(theta_1..i),  M_i = integral over theta_i of b_i M_{i+1},  M_{n+1} = 1
     (Rosenblatt 1952), from 33 nodes with linear interpolation between: exact where M is linear (a triangle), else good
     to about 1e-3 of a marginal. The density itself is exact.

   Calibration. Simulation-based calibration (Talts et al. 2018, arXiv:1804.06788): truths from the prior, data from the
   truths, posterior draws from the data; the rank of the truth among L independent draws is uniform on 0..L.

   Generator. Philox4x32-10 (Salmon et al. 2011, SC'11): key = seed, counter = (block, walker, step): the numbers of
   a walker in a step do not depend on order, threads or history. */
#ifndef BML_MCMC_H
#define BML_MCMC_H
#include <stddef.h>
#include <stdint.h>

#ifndef BML_MCMC_DEF
#if defined(BML_MCMC_STATIC) && (defined(__GNUC__) || defined(__clang__))
#define BML_MCMC_DEF static __attribute__((unused))
#elif defined(BML_MCMC_STATIC)
#define BML_MCMC_DEF static
#elif defined(__cplusplus)
#define BML_MCMC_DEF extern "C"
#else
#define BML_MCMC_DEF extern
#endif
#endif

/* ---- status ---- */
/* name, value, message. Everything but OK is negative. */
#define BML_MCMC_STATUS_TABLE(X) \
    X(BML_MCMC_OK,             0, "no error") \
    X(BML_MCMC_BAD_ARGUMENT,  -1, "an argument is missing, NaN, or out of range") \
    X(BML_MCMC_NO_MEMORY,     -2, "out of memory") \
    X(BML_MCMC_TOO_LARGE,     -3, "sizes whose product overflows") \
    X(BML_MCMC_BAD_START,     -4, "the start positions are degenerate") \
    X(BML_MCMC_NAN,           -5, "the log-probability is NaN") \
    X(BML_MCMC_INFINITE,      -6, "the log-probability is +infinite") \
    X(BML_MCMC_NOT_STARTED,   -7, "the walkers have no positions yet") \
    X(BML_MCMC_CANCELLED,     -8, "cancelled by the progress callback") \
    X(BML_MCMC_NOT_CONVERGED, -9, "the chain is too short for its autocorrelation time, or its walkers disagree") \
    X(BML_MCMC_BAD_STATE,    -10, "the saved state is damaged or of another problem") \
    X(BML_MCMC_EMPTY_BOUNDS, -11, "the bounds of a prior leave no room")
#define BML_MCMC__ENUM(name, value, text) name = value,
enum { BML_MCMC_STATUS_TABLE(BML_MCMC__ENUM) BML_MCMC__STATUS_END = 1 };
#undef BML_MCMC__ENUM

/* The message of a status; "unknown status" for other numbers. Static text. */
BML_MCMC_DEF const char *bml_mcmc_strerror(int status);

/* ---- random numbers ---- */
typedef struct bml_mcmc_rng {
    uint32_t key[2];     /* seed */
    uint32_t counter[4]; /* number of the next block: {block, stream low, stream high, substream} */
    uint32_t block[4];   /* the present block */
    uint32_t used;       /* words of it already given out, 4 = all */
} bml_mcmc_rng;          /* plain data: copy it to save it */

/* One Philox4x32-10 block: out[4] from counter[4] and key[2]. */
BML_MCMC_DEF void bml_mcmc_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key);
/* The generator number `stream` of `seed`; different streams do not overlap. */
BML_MCMC_DEF void bml_mcmc_rng_init(bml_mcmc_rng *rng, uint64_t seed, uint64_t stream);
BML_MCMC_DEF uint32_t bml_mcmc_rng_u32(bml_mcmc_rng *rng);   /* 32 random bits */
BML_MCMC_DEF double bml_mcmc_rng_uniform(bml_mcmc_rng *rng); /* uniform in (0,1), both ends excluded, 53 bits */
BML_MCMC_DEF double bml_mcmc_rng_normal(bml_mcmc_rng *rng);  /* mean 0, sd 1 */

/* ---- priors ---- */
enum {
    BML_MCMC_UNIFORM = 0,     /* flat in [lower, upper] */
    BML_MCMC_LOG_UNIFORM = 1, /* density ~ 1/x in [lower, upper], 0 < lower */
    BML_MCMC_NORMAL = 2,      /* mean, sd; truncated to [lower, upper] unless both are zero; one may be infinite */
    BML_MCMC_TABLE = 3        /* density given at x[n], linear between, any normalisation */
};
/* Narrows [*lower, *upper], which hold the limits of parameter i on entry, from theta[0..i-1]. */
typedef void (*bml_mcmc_bounds)(double *lower, double *upper, const double *theta, int i, void *user);

typedef struct bml_mcmc_prior_param {
    int kind;
    double lower, upper;    /* limits, in the parameter's unit */
    double mean, sd;        /* BML_MCMC_NORMAL only */
    const double *x;        /* [n] increasing; BML_MCMC_TABLE only; copied */
    const double *density;  /* [n] not negative; copied */
    int n;
    bml_mcmc_bounds bounds; /* NULL: none beyond lower and upper */
    void *user;             /* handed to bounds */
    int joint;              /* 1: later bounds depend on this parameter and the joint density is the product of the base
                               densities over the region (see Priors above). At most 4 parameters; the first of them has
                               no bounds callback, and the callbacks read joint parameters only. */
} bml_mcmc_prior_param;
typedef struct bml_mcmc_prior bml_mcmc_prior;

/* Makes a prior of params[n_dim] (1 <= n_dim <= 1024). *prior exists unless the status is NO_MEMORY, so that its message
   can be read; free it. BAD_ARGUMENT, EMPTY_BOUNDS, NO_MEMORY. */
BML_MCMC_DEF int bml_mcmc_prior_create(bml_mcmc_prior **prior, const bml_mcmc_prior_param *params, int n_dim);
BML_MCMC_DEF void bml_mcmc_prior_free(bml_mcmc_prior *prior);
BML_MCMC_DEF const char *bml_mcmc_prior_message(const bml_mcmc_prior *prior);
/* Normalised log density at theta[n_dim]; -infinity outside. The three calls below are thread safe if the bounds
   callbacks are. */
BML_MCMC_DEF double bml_mcmc_prior_log_density(const bml_mcmc_prior *prior, const double *theta);
/* theta[n_dim] from cube[n_dim], each in [0,1]. BAD_ARGUMENT outside the cube, EMPTY_BOUNDS. */
BML_MCMC_DEF int bml_mcmc_prior_transform(const bml_mcmc_prior *prior, double *theta, const double *cube);
/* cube[n_dim] from theta[n_dim], the inverse of the above. BAD_ARGUMENT where the density is zero. */
BML_MCMC_DEF int bml_mcmc_prior_inverse(const bml_mcmc_prior *prior, double *cube, const double *theta);

/* ---- the ensemble sampler ---- */
/* log_prob[n] of theta[n][n_dim]. */
typedef void (*bml_mcmc_log_prob)(double *log_prob, const double *theta, int n, int n_dim, void *user);

enum { BML_MCMC_STRETCH = 0, BML_MCMC_WALK, BML_MCMC_DE, BML_MCMC_SNOOKER, BML_MCMC_KDE, BML_MCMC_MIXTURE, BML_MCMC_SURROGATE,
       BML_MCMC_N_MOVES };
enum { BML_MCMC_MAX_MOVES = 16, BML_MCMC_MAX_COUNT = 32 };

typedef struct bml_mcmc_move {
    int kind;      /* BML_MCMC_STRETCH ... BML_MCMC_MIXTURE */
    double weight; /* relative probability of this move; 0 = 1 */
    double scale;  /* 0 = default; stretch a > 1: 2; walk: 1; DE: 2.38/sqrt(2 n_dim); snooker: 1.7;
                      KDE, factor of the bandwidth: 1; mixture, factor of the components' sd: 1;
                      surrogate, share of mixture steps when there are reference points: 0.4 */
    int count;     /* 0 = default; walk, helpers: 3; mixture, components: n_walkers/(3 n_dim), within 1 and 8, or with
                      reference points n_reference/(25 n_dim), within 1 and 32;
                      surrogate, inner steps: 100 */
} bml_mcmc_move;

typedef struct bml_mcmc_progress {
    uint64_t step;        /* steps done since the start */
    uint64_t last;        /* step at which this run ends */
    uint64_t evaluations; /* log-probabilities asked for since the start */
    double acceptance;    /* fraction of proposals accepted since the start or the last clear */
} bml_mcmc_progress;
typedef int (*bml_mcmc_progress_fn)(const bml_mcmc_progress *progress, void *user); /* non-zero cancels */

typedef struct bml_mcmc_config {
    int n_dim;                     /* required, 1 to 10000 */
    int n_walkers;                 /* even, at least 2 n_dim; 0 = 6 n_dim, at least 32 */
    uint64_t seed;                 /* any, 0 too */
    bml_mcmc_log_prob log_prob;    /* required */
    void *user;                    /* handed to log_prob, and to surrogate */
    bml_mcmc_log_prob surrogate;   /* a cheap approximation of log_prob, for BML_MCMC_SURROGATE moves; else NULL. Its calls are
                                      not counted; a saved state does not hold it: resume with the same one */
    const double *reference;       /* [n_reference][n_dim] points spread like p, of an earlier or cheaper run; used by create
                                      alone. The mixture is then fitted to them, once, and surrogate moves take it in. NULL = none */
    int n_reference;               /* at least 50 n_dim */
    const bml_mcmc_move *moves;    /* [n_moves], copied; one is drawn for each half-step. NULL = 1/4 stretch, 3/4 DE */
    int n_moves;
    int thin;                      /* keep every thin-th step; 0 = 1 */
    bml_mcmc_progress_fn progress; /* called after every step, NULL = none */
    void *progress_user;
} bml_mcmc_config;

/* A chain, seen but not owned: what the diagnostics take. Fill one in to have any other array summarised, such as
   quantities derived from the parameters. */
typedef struct bml_mcmc_chain {
    const double *theta;    /* [n_steps][n_walkers][n_dim] */
    const double *log_prob; /* [n_steps][n_walkers], may be NULL */
    size_t n_steps;         /* stored steps */
    int n_walkers, n_dim;
} bml_mcmc_chain;

typedef struct bml_mcmc_ensemble_info {
    int n_dim, n_walkers, n_moves, thin;
    uint64_t step, evaluations;
    const double *theta;              /* [n_walkers][n_dim] present positions */
    const double *log_prob;           /* [n_walkers] */
    const uint64_t *accepted;         /* [n_walkers] of `steps_counted` proposals each */
    uint64_t steps_counted;           /* steps since the start or the last clear */
    const bml_mcmc_move *moves;       /* [n_moves] with the defaults filled in */
    const uint64_t *moves_proposed;   /* [n_moves] */
    const uint64_t *moves_accepted;   /* [n_moves] */
} bml_mcmc_ensemble_info;

typedef struct bml_mcmc_ensemble bml_mcmc_ensemble;

/* Makes a sampler. *e exists unless the status is NO_MEMORY, so that its message can be read; free it.
   BAD_ARGUMENT, TOO_LARGE, NO_MEMORY. */
BML_MCMC_DEF int bml_mcmc_ensemble_create(bml_mcmc_ensemble **e, const bml_mcmc_config *config);
BML_MCMC_DEF void bml_mcmc_ensemble_free(bml_mcmc_ensemble *e);
/* What the last failing call has to add to its status: which walker, which point, which parameter. "" if nothing. */
BML_MCMC_DEF const char *bml_mcmc_ensemble_message(const bml_mcmc_ensemble *e);
/* The name of a move, "stretch" and so on; "?" for other numbers. */
BML_MCMC_DEF const char *bml_mcmc_move_name(int kind);

/* Start positions; each call evaluates the log-probability, forgets any chain and sets the step to 0. Refused
   (BAD_START, the message naming the walker or parameter): not finite or twice the same positions, a log-probability of
   -infinity, a covariance that is singular (a parameter given by the others to 1e-6 of its spread). NAN, INFINITE.
   ball: center[n_dim] + radius[n_dim] * uniform(-1,1), radius > 0. prior: through its unit-cube transform. In both,
   walkers at -infinity are drawn again, up to 100 times. given: theta[n_walkers][n_dim], taken as they are. */
BML_MCMC_DEF int bml_mcmc_start_ball(bml_mcmc_ensemble *e, const double *center, const double *radius);
BML_MCMC_DEF int bml_mcmc_start_prior(bml_mcmc_ensemble *e, const bml_mcmc_prior *prior);
BML_MCMC_DEF int bml_mcmc_start_given(bml_mcmc_ensemble *e, const double *theta);

/* n_steps more steps, appended to the chain. After NAN, INFINITE and CANCELLED the sampler stands at the end of
   the last whole step and may go on. NOT_STARTED, NO_MEMORY, TOO_LARGE. */
BML_MCMC_DEF int bml_mcmc_run(bml_mcmc_ensemble *e, size_t n_steps);
/* Forgets the stored chain and the acceptance counts, not the positions: the end of a burn-in. */
BML_MCMC_DEF void bml_mcmc_ensemble_clear(bml_mcmc_ensemble *e);
/* The stored chain; pointers live until the next run, start, clear, load or free. */
BML_MCMC_DEF bml_mcmc_chain bml_mcmc_ensemble_chain(const bml_mcmc_ensemble *e);
/* Counts and present positions; pointers live as above. */
BML_MCMC_DEF bml_mcmc_ensemble_info bml_mcmc_ensemble_get_info(const bml_mcmc_ensemble *e);

/* Save and resume to the bit, chain included. _save_size gives the bytes needed; _save writes them (BAD_ARGUMENT when
   size is smaller); _load takes them into a sampler created with the same n_dim, n_walkers, seed, thin and moves, and asks
   log_prob for the saved positions: if they differ, by damage or because log_prob is another one (1e-6 of it), BAD_STATE
   and the sampler is as before. The bytes are in this machine's order. */
BML_MCMC_DEF size_t bml_mcmc_ensemble_save_size(const bml_mcmc_ensemble *e);
BML_MCMC_DEF int bml_mcmc_ensemble_save(bml_mcmc_ensemble *e, void *buffer, size_t size);
BML_MCMC_DEF int bml_mcmc_ensemble_load(bml_mcmc_ensemble *e, const void *buffer, size_t size);

/* ---- diagnostics, of any chain ---- */
typedef struct bml_mcmc_summary {
    double median, minus, plus; /* 15.87 % quantile = median - minus, 84.13 % quantile = median + plus */
    double mean, sd;
    double ess;                 /* effective samples, n_steps n_walkers / tau */
    double rhat;                /* split R-hat over walkers */
    double tau;                 /* integrated autocorrelation time, in steps of the chain */
} bml_mcmc_summary;

/* The same chain without its first `burn` stored steps (without any if there are no more). */
BML_MCMC_DEF bml_mcmc_chain bml_mcmc_chain_drop(bml_mcmc_chain chain, size_t burn);
/* tau[n_dim] alone. NOT_CONVERGED with the estimates when the chain is shorter than 50 tau. BAD_ARGUMENT for fewer than 8
   steps or values that are not finite, NO_MEMORY. */
BML_MCMC_DEF int bml_mcmc_autocorrelation(double *tau, bml_mcmc_chain chain);
/* out[n_dim]. NOT_CONVERGED with the estimates when the chain is shorter than 50 tau or R-hat > 1.1. Others as above. */
BML_MCMC_DEF int bml_mcmc_summarize(bml_mcmc_summary *out, bml_mcmc_chain chain);
/* The same of a sampler's chain after `burn` steps of the sampler, with tau in steps of the sampler (thinning counted). */
BML_MCMC_DEF int bml_mcmc_ensemble_summary(bml_mcmc_ensemble *e, bml_mcmc_summary *out, size_t burn);
/* The quantile q in [0,1] of values[n], linear between order statistics. Reorders values. NaN if n = 0. */
BML_MCMC_DEF double bml_mcmc_quantile(double *values, size_t n, double q);

/* ---- calibration ---- */
/* ranks[n_dim] of truth[n_dim] among n_draws draws taken evenly from the chain: 0..n_draws. n_draws should not exceed
   the ESS. BAD_ARGUMENT when the chain holds fewer. */
BML_MCMC_DEF int bml_mcmc_sbc_ranks(int *ranks, bml_mcmc_chain chain, const double *truth, int n_draws);
/* p-value of a chi^2 test that ranks[n] are uniform on 0..n_draws, in n_bins bins (2 <= n_bins <= n_draws + 1, expected
   counts n/n_bins of 5 and more). NaN for arguments out of range. */
BML_MCMC_DEF double bml_mcmc_sbc_p_value(const int *ranks, int n, int n_draws, int n_bins);
/* Fraction of n truths inside the central interval of probability `level`, by their ranks, and the binomial sd
   of that fraction if `level` were right. BAD_ARGUMENT. */
BML_MCMC_DEF int bml_mcmc_coverage(double *fraction, double *sd, const int *ranks, int n, int n_draws, double level);
/* Probability that chi^2 with k degrees of freedom exceeds x. */
BML_MCMC_DEF double bml_mcmc_chi2_survival(double x, double k);

#endif /* BML_MCMC_H */
/* ---- end of API ---- */

#if defined(BML_MCMC_IMPLEMENTATION) && !defined(BML_MCMC__IMPLEMENTED)
#define BML_MCMC__IMPLEMENTED
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h> /* vsnprintf into message buffers; nothing is printed */
#include <string.h>
#ifndef BML_MCMC_MALLOC
#include <stdlib.h>
#define BML_MCMC_MALLOC(n) malloc(n)
#define BML_MCMC_REALLOC(p, n) realloc(p, n)
#define BML_MCMC_FREE(p) free(p)
#endif
#define BML_MCMC__NAN ((double)NAN) /* the C library's are float: said aloud for -Wdouble-promotion */
#define BML_MCMC__INF ((double)INFINITY)
#if defined(__GNUC__) || defined(__clang__)
#define BML_MCMC_RESTRICT __restrict__
#define BML_MCMC_PRINTF __attribute__((format(printf, 3, 4)))
#else
#define BML_MCMC_RESTRICT
#define BML_MCMC_PRINTF
#endif

/* >> status and memory */

BML_MCMC_DEF const char *bml_mcmc_strerror(int status) {
#define BML_MCMC__CASE(name, value, text) if (status == value) return text;
    BML_MCMC_STATUS_TABLE(BML_MCMC__CASE)
#undef BML_MCMC__CASE
    return "unknown status";
}

enum { BML_MCMC__MESSAGE = 512, BML_MCMC__MAX_PRIOR = 1024 };

/* Writes the message and hands the status through: return bml_mcmc__fail(...). */
BML_MCMC_PRINTF static int bml_mcmc__fail(char *message, int status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(message, BML_MCMC__MESSAGE, format, args);
    va_end(args);
    return status;
}

/* *product = a b c, or 0 if that overflows. */
static int bml_mcmc__mul(size_t *product, size_t a, size_t b, size_t c) {
    if (b && a > (size_t)-1 / b) return 0;
    a *= b;
    if (c && a > (size_t)-1 / c) return 0;
    *product = a * c;
    return 1;
}

/* a b c zeroed bytes, NULL on overflow or without memory. */
static void *bml_mcmc__alloc(size_t a, size_t b, size_t c) {
    size_t bytes;
    void *p;
    if (!bml_mcmc__mul(&bytes, a, b, c)) return NULL;
    p = BML_MCMC_MALLOC(bytes ? bytes : 1);
    if (p) memset(p, 0, bytes);
    return p;
}

static double *bml_mcmc__doubles(size_t a, size_t b) { return (double *)bml_mcmc__alloc(a, b, sizeof(double)); }

/* >> random numbers */

BML_MCMC_DEF void bml_mcmc_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    int round;
    for (round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u; /* golden ratio */
        k1 += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* The stream with counter words 1, 2, 3. */
static bml_mcmc_rng bml_mcmc__stream(uint64_t seed, uint32_t c1, uint32_t c2, uint32_t c3) {
    bml_mcmc_rng r = {{(uint32_t)seed, (uint32_t)(seed >> 32)}, {0, c1, c2, c3}, {0, 0, 0, 0}, 4};
    return r;
}

/* Word 3 all ones keeps these apart from the sampler's streams, whose word 3 is the high half of a step number. */
BML_MCMC_DEF void bml_mcmc_rng_init(bml_mcmc_rng *rng, uint64_t seed, uint64_t stream) {
    *rng = bml_mcmc__stream(seed, (uint32_t)stream, (uint32_t)(stream >> 32), 0xFFFFFFFFu);
}

BML_MCMC_DEF uint32_t bml_mcmc_rng_u32(bml_mcmc_rng *rng) {
    if (rng->used >= 4) {
        bml_mcmc_philox(rng->block, rng->counter, rng->key);
        rng->counter[0]++;
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

BML_MCMC_DEF double bml_mcmc_rng_uniform(bml_mcmc_rng *rng) {
    uint64_t high = bml_mcmc_rng_u32(rng), low = bml_mcmc_rng_u32(rng);
    return ((double)((high << 32 | low) >> 12) + 0.5) * (1.0 / 4503599627370496.0); /* 2^-52: + 0.5 stays exact */
}

BML_MCMC_DEF double bml_mcmc_rng_normal(bml_mcmc_rng *rng) { /* Box & Muller 1958 */
    double r = sqrt(-2 * log(bml_mcmc_rng_uniform(rng)));
    return r * cos(6.283185307179586 * bml_mcmc_rng_uniform(rng));
}

/* 0..n-1; the bias, n/2^32, is far below what any chain can show. */
static int bml_mcmc__below(bml_mcmc_rng *rng, int n) {
    return (int)(((uint64_t)bml_mcmc_rng_u32(rng) * (uint64_t)n) >> 32);
}

/* >> linear algebra of the size of a covariance matrix */

/* a[d][d], symmetric, lower half used: replaced by its Cholesky factor L, upper half zeroed. 0 when a pivot is not
   above `tolerance` times its diagonal element, which is where a direction is lost to rounding. */
static int bml_mcmc__cholesky(double *a, int d, double tolerance) {
    int i, j, k;
    for (i = 0; i < d; i++) {
        double diagonal = a[i * d + i];
        for (j = 0; j <= i; j++) {
            double s = a[i * d + j];
            for (k = 0; k < j; k++) s -= a[i * d + k] * a[j * d + k];
            if (j < i) a[i * d + j] = s / a[j * d + j];
            else if (s > tolerance * diagonal && s < DBL_MAX) a[i * d + i] = sqrt(s);
            else return 0;
        }
        for (j = i + 1; j < d; j++) a[i * d + j] = 0;
    }
    return 1;
}

/* inverse[d][d] of the lower triangular L; returns log det L. */
static double bml_mcmc__invert_lower(double *inverse, const double *L, int d) {
    double log_det = 0;
    int i, j, k;
    for (i = 0; i < d; i++) {
        double r = 1 / L[i * d + i];
        log_det -= log(r);
        for (j = 0; j < d; j++) inverse[i * d + j] = 0;
        for (j = 0; j < i; j++) {
            double s = 0;
            for (k = j; k < i; k++) s += L[i * d + k] * inverse[k * d + j];
            inverse[i * d + j] = -s * r;
        }
        inverse[i * d + i] = r;
    }
    return log_det;
}

/* y = L x, L lower triangular. y and x are different arrays. */
static void bml_mcmc__lower_times(double *BML_MCMC_RESTRICT y, const double *BML_MCMC_RESTRICT L,
                                  const double *BML_MCMC_RESTRICT x, int d) {
    int i, j;
    for (i = 0; i < d; i++) {
        double s = 0;
        for (j = 0; j <= i; j++) s += L[i * d + j] * x[j];
        y[i] = s;
    }
}

/* mean[d] and lower half of covariance[d][d] of x[n][d]; covariance zeroed above the diagonal. */
static void bml_mcmc__moments(double *mean, double *covariance, const double *x, int n, int d) {
    int s, i, j;
    for (i = 0; i < d; i++) mean[i] = 0;
    for (i = 0; i < d * d; i++) covariance[i] = 0;
    for (s = 0; s < n; s++)
        for (i = 0; i < d; i++) mean[i] += x[s * d + i] / n;
    for (s = 0; s < n; s++)
        for (i = 0; i < d; i++) {
            double xi = (x[s * d + i] - mean[i]) / (n - 1);
            for (j = 0; j <= i; j++) covariance[i * d + j] += xi * (x[s * d + j] - mean[j]);
        }
}

/* >> moves
   A move is a row of bml_mcmc__moves. `fit`, if there is one, runs once per half-step and sees the complementary half
   alone; `propose` draws y from x and the complementary half, and returns h, the log of the Hastings factor. */

enum { BML_MCMC__MAX_COMPONENTS = BML_MCMC_MAX_COUNT + 1 };

typedef struct bml_mcmc__half {
    const double *other;      /* [n][d] the complementary half */
    int n, d;
    bml_mcmc_move move;       /* with its defaults resolved */
    /* What fit leaves for propose: z = A (theta - mean), theta = mean + L z, in which the half has unit covariance. */
    double *mean, *L, *A;     /* [d], [d][d], [d][d] */
    double *z;                /* [n][d] the complementary half */
    int n_components, em_steps;
    double *weight, *log_norm; /* [n_components], and log(weight/det L) */
    double *mu, *CL, *CA;     /* [n_components][d], [..][d][d] Cholesky factor of a component, its inverse */
    double *responsibility;   /* [n][n_components] */
    double *scratch;          /* [3][d] */
} bml_mcmc__half;

static double bml_mcmc__stretch(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    int d = half->d, i;
    const double *c = half->other + bml_mcmc__below(rng, half->n) * d;
    double a = half->move.scale, r = 1 + (a - 1) * bml_mcmc_rng_uniform(rng), z = r * r / a;
    for (i = 0; i < d; i++) y[i] = c[i] + z * (x[i] - c[i]);
    return (d - 1) * log(z);
}

/* k different members of 0..n-1; k is small, or all of n. */
static void bml_mcmc__choose(int *index, int k, int n, bml_mcmc_rng *rng) {
    int i, j;
    for (i = 0; i < k; i++) {
        do {
            index[i] = bml_mcmc__below(rng, n);
            for (j = 0; j < i && index[j] != index[i]; j++) {}
        } while (j < i);
    }
}

static double bml_mcmc__walk(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    int index[BML_MCMC_MAX_COUNT], s = half->move.count, d = half->d, i, j;
    double normal[BML_MCMC_MAX_COUNT], mean = 0, norm = half->move.scale / sqrt(s - 1.0);
    bml_mcmc__choose(index, s, half->n, rng);
    for (j = 0; j < s; j++) mean += (normal[j] = bml_mcmc_rng_normal(rng)) / s;
    /* sum n_j (c_j - mean c) = sum (n_j - mean n) c_j */
    for (i = 0; i < d; i++) {
        double step = 0;
        for (j = 0; j < s; j++) step += (normal[j] - mean) * half->other[index[j] * d + i];
        y[i] = x[i] + norm * step;
    }
    return 0;
}

static double bml_mcmc__de(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    int d = half->d, first = bml_mcmc__below(rng, half->n), second = bml_mcmc__below(rng, half->n - 1), i;
    const double *c1 = half->other + first * d, *c2 = half->other + (second + (second >= first)) * d;
    double u = bml_mcmc_rng_uniform(rng); /* its first tenth says jump, the rest spreads g */
    double g = u < 0.1 ? 1 : half->move.scale * (0.9 + 0.2 * (u - 0.1) / 0.9);
    for (i = 0; i < d; i++) y[i] = x[i] + g * (c1[i] - c2[i]);
    return 0;
}

static double bml_mcmc__snooker(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    int index[3], d = half->d, i;
    const double *c, *c1, *c2;
    double x2 = 0, y2 = 0, along = 0, g;
    bml_mcmc__choose(index, 3, half->n, rng);
    c = half->other + index[0] * d, c1 = half->other + index[1] * d, c2 = half->other + index[2] * d;
    for (i = 0; i < d; i++) {
        x2 += (x[i] - c[i]) * (x[i] - c[i]);
        along += (x[i] - c[i]) * (c1[i] - c2[i]);
    }
    g = half->move.scale * along / x2; /* e (e . v) = (x - c) ((x - c) . v)/|x - c|^2: e has length one */
    for (i = 0; i < d; i++) {
        y[i] = x[i] + g * (x[i] - c[i]);
        y2 += (y[i] - c[i]) * (y[i] - c[i]);
    }
    return 0.5 * (d - 1) * log(y2 / x2);
}

/* >> moves from the ensemble's density
   Both work in coordinates z in which the complementary half has zero mean and unit covariance, so that parameters of any
   units and correlation are alike; the Jacobian cancels in q(X)/q(Y). When that covariance cannot be had (walkers on a
   line), fit returns 0 and this half-step makes stretch moves: a decision that the complementary half alone takes. */

static int bml_mcmc__whiten(bml_mcmc__half *half) {
    int d = half->d, s, i;
    bml_mcmc__moments(half->mean, half->L, half->other, half->n, d);
    if (!bml_mcmc__cholesky(half->L, d, 1e-12)) return 0;
    bml_mcmc__invert_lower(half->A, half->L, d);
    for (s = 0; s < half->n; s++) {
        for (i = 0; i < d; i++) half->scratch[i] = half->other[s * d + i] - half->mean[i];
        bml_mcmc__lower_times(half->z + s * d, half->A, half->scratch, d);
    }
    return 1;
}

/* z[d] of the point x[d]. Uses scratch row 0. */
static void bml_mcmc__to_z(double *z, const double *x, const bml_mcmc__half *half) {
    int i;
    for (i = 0; i < half->d; i++) half->scratch[i] = x[i] - half->mean[i];
    bml_mcmc__lower_times(z, half->A, half->scratch, half->d);
}

static void bml_mcmc__from_z(double *x, const double *z, const bml_mcmc__half *half) {
    int i;
    bml_mcmc__lower_times(x, half->L, z, half->d);
    for (i = 0; i < half->d; i++) x[i] += half->mean[i];
}

/* log of sum_j exp(-|z - z_j|^2 / 2 b^2), up to a constant; sums relative to the nearest member. */
static double bml_mcmc__kde_log_q(const double *z, const bml_mcmc__half *half, double inv_b2) {
    double nearest = DBL_MAX, sum = 0, *r2 = half->responsibility;
    int s, i;
    for (s = 0; s < half->n; s++) {
        const double *c = half->z + s * half->d;
        double t = 0;
        for (i = 0; i < half->d; i++) t += (z[i] - c[i]) * (z[i] - c[i]);
        r2[s] = t;
        if (t < nearest) nearest = t;
    }
    for (s = 0; s < half->n; s++) {
        double t = 0.5 * inv_b2 * (r2[s] - nearest);
        if (t < 40) sum += exp(-t);
    }
    return log(sum) - 0.5 * inv_b2 * nearest;
}

static double bml_mcmc__kde(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    int d = half->d, i;
    double b = half->move.scale * pow(half->n, -1.0 / (d + 4)); /* Scott 1992, eq. 6.44 */
    double *zx = half->scratch + d, *zy = half->scratch + 2 * d;
    const double *c = half->z + bml_mcmc__below(rng, half->n) * d;
    for (i = 0; i < d; i++) zy[i] = c[i] + b * bml_mcmc_rng_normal(rng);
    bml_mcmc__to_z(zx, x, half);
    bml_mcmc__from_z(y, zy, half);
    return bml_mcmc__kde_log_q(zx, half, 1 / (b * b)) - bml_mcmc__kde_log_q(zy, half, 1 / (b * b));
}

/* Mixture. K components start at members of the half chosen far apart (k-means++ seeding, Arthur & Vassilvitskii 2007)
   and go through a fixed number of EM steps. Covariances are regularised as by an inverse-Wishart prior (Fraley & Raftery
   2007, J. Classif. 24, 155): (sum r (z-mu)(z-mu)^T + kappa I/K^(2/d)) / (sum r + kappa), with kappa = d/2 pseudo-points. One more
   component, the half's own mean and covariance, keeps weight BML_MCMC__DEFENCE, so that q is nowhere too thin. Proposals
   and densities use t distributions of BML_MCMC__DOF degrees of freedom with the fitted centres and scatter matrices. */
#define BML_MCMC__DEFENCE 0.1
#define BML_MCMC__DOF 10
enum { BML_MCMC__EM_STEPS = 8, BML_MCMC__EM_STEPS_REFERENCE = 30 }; /* anew in each half-step; once */

/* |CA_k (z - mu_k)|^2 */
static double bml_mcmc__distance2(const double *z, const bml_mcmc__half *half, int k) {
    int d = half->d, i, j;
    const double *mu = half->mu + k * d, *A = half->CA + k * d * d;
    double *v = half->scratch, r2 = 0;
    for (i = 0; i < d; i++) v[i] = z[i] - mu[i];
    for (i = 0; i < d; i++) {
        double s = 0;
        for (j = 0; j <= i; j++) s += A[i * d + j] * v[j];
        r2 += s * s;
    }
    return r2;
}

/* exp(a[k] - max)/sum in place; returns log sum exp a. */
static double bml_mcmc__softmax(double *a, int n) {
    double top = a[0], sum = 0;
    int k;
    for (k = 1; k < n; k++) top = a[k] > top ? a[k] : top;
    for (k = 0; k < n; k++) sum += (a[k] = a[k] - top < -40 ? 0 : exp(a[k] - top));
    for (k = 0; k < n; k++) a[k] /= sum;
    return top + log(sum);
}

/* Component k becomes a ball, its centre set by the caller. */
static void bml_mcmc__unit_component(bml_mcmc__half *half, int k, double weight, double variance) {
    int d = half->d, i;
    memset(half->CL + k * d * d, 0, sizeof(double) * (size_t)(d * d));
    memset(half->CA + k * d * d, 0, sizeof(double) * (size_t)(d * d));
    for (i = 0; i < d; i++) {
        half->CL[(k * d + i) * d + i] = sqrt(variance);
        half->CA[(k * d + i) * d + i] = 1 / sqrt(variance);
    }
    half->weight[k] = weight;
    half->log_norm[k] = log(weight) - 0.5 * d * log(variance);
}

/* Centres far apart: each next one with probability as its squared distance to the nearest so far. */
static void bml_mcmc__seed_components(bml_mcmc__half *half, int K, bml_mcmc_rng *rng) {
    int n = half->n, d = half->d, k, s, i, pick = bml_mcmc__below(rng, n);
    double *nearest = half->responsibility; /* [n], free until the first E step */
    for (s = 0; s < n; s++) nearest[s] = DBL_MAX;
    for (k = 0; k < K; k++) {
        double *mu = half->mu + k * d, total = 0, u;
        for (i = 0; i < d; i++) mu[i] = half->z[pick * d + i];
        bml_mcmc__unit_component(half, k, 1.0 / K, pow(K, -2.0 / d));
        for (s = 0; s < n; s++) {
            double r2 = 0;
            for (i = 0; i < d; i++) r2 += (half->z[s * d + i] - mu[i]) * (half->z[s * d + i] - mu[i]);
            if (r2 < nearest[s]) nearest[s] = r2;
            total += nearest[s];
        }
        u = total * bml_mcmc_rng_uniform(rng);
        for (pick = 0; pick < n - 1 && (u -= nearest[pick]) > 0; pick++) {}
    }
}

static void bml_mcmc__e_step(bml_mcmc__half *half, int K) {
    int s, k;
    for (s = 0; s < half->n; s++) {
        double *r = half->responsibility + s * K;
        for (k = 0; k < K; k++)
            r[k] = half->log_norm[k] - 0.5 * bml_mcmc__distance2(half->z + s * half->d, half, k);
        bml_mcmc__softmax(r, K);
    }
}

/* Component k from its responsibilities; 0 when its covariance cannot be factored. */
static int bml_mcmc__m_step(bml_mcmc__half *half, int K, int k) {
    int n = half->n, d = half->d, s, i, j;
    double *mu = half->mu + k * d, *S = half->CL + k * d * d, *v = half->scratch, kappa = 0.5 * d, total = 0;
    memset(mu, 0, sizeof(double) * (size_t)d);
    memset(S, 0, sizeof(double) * (size_t)(d * d));
    for (s = 0; s < n; s++) {
        double r = half->responsibility[s * K + k];
        total += r;
        for (i = 0; i < d; i++) mu[i] += r * half->z[s * d + i];
    }
    for (i = 0; i < d; i++) mu[i] /= total + DBL_MIN;
    for (s = 0; s < n; s++) {
        double r = half->responsibility[s * K + k];
        if (r < 1e-12) continue;
        for (i = 0; i < d; i++) v[i] = half->z[s * d + i] - mu[i];
        for (i = 0; i < d; i++)
            for (j = 0; j <= i; j++) S[i * d + j] += r * v[i] * v[j];
    }
    for (i = 0; i < d * d; i++) S[i] /= total + kappa;
    for (i = 0; i < d; i++) S[i * d + i] += kappa * pow(K, -2.0 / d) / (total + kappa);
    half->weight[k] = (total + 1) / (n + K); /* never zero */
    if (!bml_mcmc__cholesky(S, d, 1e-12)) return 0;
    half->log_norm[k] = log(half->weight[k]) - bml_mcmc__invert_lower(half->CA + k * d * d, S, d);
    return 1;
}

static int bml_mcmc__fit_kde(bml_mcmc__half *half, bml_mcmc_rng *rng) {
    (void)rng;
    return bml_mcmc__whiten(half);
}

static int bml_mcmc__fit_mixture(bml_mcmc__half *half, bml_mcmc_rng *rng) {
    int K = half->move.count, d = half->d, iteration, k;
    if (!bml_mcmc__whiten(half)) return 0;
    bml_mcmc__seed_components(half, K, rng);
    for (iteration = 0; iteration < half->em_steps; iteration++) {
        bml_mcmc__e_step(half, K);
        for (k = 0; k < K; k++)
            if (!bml_mcmc__m_step(half, K, k)) return 0;
    }
    for (k = 0; k < K; k++) half->weight[k] *= 1 - BML_MCMC__DEFENCE, half->log_norm[k] += log(1 - BML_MCMC__DEFENCE);
    memset(half->mu + K * d, 0, sizeof(double) * (size_t)d);
    bml_mcmc__unit_component(half, K, BML_MCMC__DEFENCE, 1);
    half->n_components = K + 1;
    return 1;
}

/* log q up to a constant: sum of t densities of BML_MCMC__DOF degrees of freedom. */
static double bml_mcmc__mixture_log_q(const double *z, const bml_mcmc__half *half) {
    double a[BML_MCMC__MAX_COMPONENTS], s2 = half->move.scale * half->move.scale;
    int k;
    for (k = 0; k < half->n_components; k++)
        a[k] = half->log_norm[k] - 0.5 * (BML_MCMC__DOF + half->d) * log(1 + bml_mcmc__distance2(z, half, k) / (BML_MCMC__DOF * s2));
    return bml_mcmc__softmax(a, half->n_components);
}

static double bml_mcmc__mixture(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    int d = half->d, k, i;
    double *zx = half->scratch + d, *zy = half->scratch + 2 * d, *v = half->scratch, u = bml_mcmc_rng_uniform(rng), chi2 = 1, t;
    for (k = 0; k < half->n_components - 1 && (u -= half->weight[k]) > 0; k++) {}
    for (i = 0; i < BML_MCMC__DOF / 2; i++) chi2 *= bml_mcmc_rng_uniform(rng);
    chi2 = -2 * log(chi2); /* an even number of degrees of freedom is a sum of exponentials */
    t = half->move.scale * sqrt(BML_MCMC__DOF / chi2);
    for (i = 0; i < d; i++) v[i] = t * bml_mcmc_rng_normal(rng);
    bml_mcmc__lower_times(zy, half->CL + k * d * d, v, d);
    for (i = 0; i < d; i++) zy[i] += half->mu[k * d + i];
    bml_mcmc__to_z(zx, x, half);
    bml_mcmc__from_z(y, zy, half);
    return bml_mcmc__mixture_log_q(zx, half) - bml_mcmc__mixture_log_q(zy, half);
}

/* The table of moves: a new move is a new row. need_0 + need_d n_dim: members of a half it cannot do without. */
typedef struct bml_mcmc__move_row {
    const char *name;
    double scale;       /* default; 0 is DE's, which depends on the dimension */
    int count;          /* default, 0 where it has none; -1: from the sizes */
    int need_0, need_d;
    int (*fit)(bml_mcmc__half *half, bml_mcmc_rng *rng);
    double (*propose)(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng);
} bml_mcmc__move_row;

static const bml_mcmc__move_row bml_mcmc__moves[BML_MCMC_N_MOVES] = {
    {"stretch", 2.0, 0, 1, 0, NULL, bml_mcmc__stretch},
    {"walk", 1.0, 3, 3, 0, NULL, bml_mcmc__walk},
    {"DE", 0.0, 0, 2, 0, NULL, bml_mcmc__de},
    {"snooker", 1.7, 0, 3, 0, NULL, bml_mcmc__snooker},
    {"KDE", 1.0, 0, 2, 1, bml_mcmc__fit_kde, bml_mcmc__kde},
    {"mixture", 1.0, -1, 2, 1, bml_mcmc__fit_mixture, bml_mcmc__mixture},
    {"surrogate", 0.4, 100, 2, 0, NULL, NULL}, /* bml_mcmc__propose_surrogate, for all walkers of a half together */
};

BML_MCMC_DEF const char *bml_mcmc_move_name(int kind) {
    return kind >= 0 && kind < BML_MCMC_N_MOVES ? bml_mcmc__moves[kind].name : "?";
}

/* >> ensemble: create and free */

static const uint32_t bml_mcmc__shared = 0xFFFFFFFFu; /* in place of a walker's number: the stream of a whole step */

struct bml_mcmc_ensemble {
    bml_mcmc_config config;   /* defaults resolved */
    int refused;              /* status of create: an object that only carries its message */
    int started;
    bml_mcmc_move moves[BML_MCMC_MAX_MOVES];
    double cumulative[BML_MCMC_MAX_MOVES]; /* weights summed and normalised */
    uint64_t step, evaluations, steps_counted;
    uint64_t moves_proposed[BML_MCMC_MAX_MOVES], moves_accepted[BML_MCMC_MAX_MOVES];
    uint64_t *accepted;       /* [n_walkers] */
    double *theta, *log_prob; /* [n_walkers][n_dim], [n_walkers] */
    double *old_theta, *old_log_prob; /* as they were before the step under way */
    unsigned char *moved;     /* [n_walkers] in the step under way */
    int *order;               /* [n_walkers] first half: updated first */
    double *other;            /* [n_walkers/2][n_dim] */
    double *proposal;         /* [n_walkers][n_dim] (half of it in a step, all in a start) */
    double *proposal_log_prob, *hastings, *log_u; /* [n_walkers] */
    double *inner;            /* [n_walkers/2][n_dim + 3] surrogate moves only */
    bml_mcmc_rng *inner_rng;  /* [n_walkers/2] */
    bml_mcmc__half half;
    bml_mcmc__half reference; /* n = 0: none */
    double *chain, *chain_log_prob; /* [stored][n_walkers][n_dim], [stored][n_walkers] */
    size_t stored, capacity;
    char message[BML_MCMC__MESSAGE];
};

static const bml_mcmc_move bml_mcmc__default_moves[2] = {{BML_MCMC_STRETCH, 1, 0, 0}, {BML_MCMC_DE, 3, 0, 0}};

/* Fills in the defaults of one move and checks it; 0 when refused. */
static int bml_mcmc__resolve_move(bml_mcmc_ensemble *e, bml_mcmc_move *m) {
    const bml_mcmc__move_row *row;
    int d = e->config.n_dim, half = e->config.n_walkers / 2, need;
    if (m->kind < 0 || m->kind >= BML_MCMC_N_MOVES)
        return bml_mcmc__fail(e->message, 0, "there is no move number %d", m->kind);
    row = &bml_mcmc__moves[m->kind];
    if (m->weight == 0) m->weight = 1;
    if (m->scale == 0) m->scale = m->kind == BML_MCMC_DE ? 2.38 / sqrt(2.0 * d) : row->scale;
    if (m->count == 0) {
        m->count = row->count;
        if (row->count < 0 && e->config.reference)
            m->count = e->config.n_reference < 50 * d ? 1 : e->config.n_reference > 25 * 32 * d ? 32 : e->config.n_reference / (25 * d);
        else if (row->count < 0) m->count = 2 * half < 3 * d ? 1 : 2 * half > 24 * d ? 8 : 2 * half / (3 * d);
    }
    if (!(m->weight > 0 && m->weight < DBL_MAX && m->scale > 0 && m->scale < DBL_MAX))
        return bml_mcmc__fail(e->message, 0, "move %s: weight and scale must be positive and finite", row->name);
    if (m->kind == BML_MCMC_STRETCH && !(m->scale > 1))
        return bml_mcmc__fail(e->message, 0, "move stretch: scale is %g, must be above 1", m->scale);
    if (m->kind == BML_MCMC_SURROGATE) {
        if (!e->config.surrogate) return bml_mcmc__fail(e->message, 0, "move surrogate: config.surrogate is missing");
        if (m->scale > 1) return bml_mcmc__fail(e->message, 0, "move surrogate: scale is %g, must be within 0 and 1", m->scale);
        return m->count >= 1 && m->count <= 1000000 && half >= 2 ? 1
               : bml_mcmc__fail(e->message, 0, "move surrogate: count is %d, must be within 1 and 1000000", m->count);
    }
    if (row->count && (m->count < (m->kind == BML_MCMC_WALK ? 2 : 1) || m->count > BML_MCMC_MAX_COUNT))
        return bml_mcmc__fail(e->message, 0, "move %s: count is %d, must be within 1 (walk: 2) and %d", row->name, m->count,
                              BML_MCMC_MAX_COUNT);
    if (m->kind == BML_MCMC_MIXTURE && e->config.reference) return 1;
    need = row->need_0 + row->need_d * d;
    if (row->count && m->count > need) need = m->count;
    if (half < need)
        return bml_mcmc__fail(e->message, 0, "move %s needs at least %d walkers, not %d", row->name, 2 * need, 2 * half);
    return 1;
}

static int bml_mcmc__resolve_config(bml_mcmc_ensemble *e, const bml_mcmc_config *given) {
    bml_mcmc_config *c = &e->config;
    double total = 0, sum = 0;
    int i;
    *c = *given;
    if (!c->log_prob) return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "log_prob is missing");
    if (c->n_dim < 1) return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "n_dim is %d", c->n_dim);
    if (c->n_dim > 10000 || (double)c->n_dim * c->n_walkers > 5e8) /* so that int holds every index of a step */
        return bml_mcmc__fail(e->message, BML_MCMC_TOO_LARGE, "%d dimensions, %d walkers", c->n_dim, c->n_walkers);
    if (c->n_walkers == 0) c->n_walkers = 6 * c->n_dim < 32 ? 32 : 6 * c->n_dim;
    if (c->n_walkers < 2 * c->n_dim || c->n_walkers % 2)
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT,
                              "%d walkers for %d dimensions: an even number of at least %d is needed", c->n_walkers, c->n_dim, 2 * c->n_dim);
    if ((c->reference != NULL) != (c->n_reference != 0) || (c->reference && c->n_reference < 50 * c->n_dim))
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "%d reference points for %d dimensions: at least %d are needed",
                              c->n_reference, c->n_dim, 50 * c->n_dim);
    if ((double)c->n_reference * c->n_dim > 5e8) return bml_mcmc__fail(e->message, BML_MCMC_TOO_LARGE, "%d reference points", c->n_reference);
    for (i = 0; i < c->n_reference * c->n_dim; i++)
        if (!(fabs(c->reference[i]) <= DBL_MAX))
            return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "reference point %d is not finite", i / c->n_dim);
    if (c->thin == 0) c->thin = 1;
    if (c->thin < 0) return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "thin is %d", c->thin);
    if (!c->moves && c->n_moves == 0) {
        c->moves = bml_mcmc__default_moves;
        c->n_moves = 2;
    }
    if (!c->moves || c->n_moves < 1 || c->n_moves > BML_MCMC_MAX_MOVES)
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "%d moves given, 1 to %d are possible", c->n_moves, BML_MCMC_MAX_MOVES);
    for (i = 0; i < c->n_moves; i++) {
        e->moves[i] = c->moves[i];
        if (!bml_mcmc__resolve_move(e, &e->moves[i])) return BML_MCMC_BAD_ARGUMENT;
        total += e->moves[i].weight;
    }
    for (i = 0; i < c->n_moves; i++) e->cumulative[i] = (sum += e->moves[i].weight) / total;
    c->moves = e->moves;
    return BML_MCMC_OK;
}

/* What a fit of h->n points in h->d dimensions fills; 0 when memory is short. */
static int bml_mcmc__density_arrays(bml_mcmc__half *h) {
    size_t N = (size_t)h->n, D = (size_t)h->d, K = BML_MCMC__MAX_COMPONENTS;
    return (h->mean = bml_mcmc__doubles(D, 1)) && (h->L = bml_mcmc__doubles(D, D)) && (h->A = bml_mcmc__doubles(D, D)) &&
           (h->z = bml_mcmc__doubles(N, D)) && (h->weight = bml_mcmc__doubles(K, 1)) && (h->log_norm = bml_mcmc__doubles(K, 1)) &&
           (h->mu = bml_mcmc__doubles(K, D)) && (h->CL = bml_mcmc__doubles(K * D, D)) && (h->CA = bml_mcmc__doubles(K * D, D)) &&
           (h->responsibility = bml_mcmc__doubles(N, K)) && (h->scratch = bml_mcmc__doubles(3, D));
}

static void bml_mcmc__density_free(bml_mcmc__half *h) {
    BML_MCMC_FREE(h->mean), BML_MCMC_FREE(h->L), BML_MCMC_FREE(h->A), BML_MCMC_FREE(h->z), BML_MCMC_FREE(h->weight);
    BML_MCMC_FREE(h->log_norm), BML_MCMC_FREE(h->mu), BML_MCMC_FREE(h->CL), BML_MCMC_FREE(h->CA);
    BML_MCMC_FREE(h->responsibility), BML_MCMC_FREE(h->scratch);
}

/* Fits the mixture to the reference points. */
static int bml_mcmc__fit_reference(bml_mcmc_ensemble *e) {
    bml_mcmc__half *r = &e->reference;
    bml_mcmc_rng rng = bml_mcmc__stream(e->config.seed, bml_mcmc__shared, 0, 0);
    int d = e->config.n_dim, i;
    r->n = e->config.n_reference, r->d = d, r->other = e->config.reference;
    r->em_steps = BML_MCMC__EM_STEPS_REFERENCE;
    r->move.kind = BML_MCMC_MIXTURE, r->move.weight = r->move.scale = 1;
    r->move.count = r->n / (25 * d) < 1 ? 1 : r->n / (25 * d) > BML_MCMC_MAX_COUNT ? BML_MCMC_MAX_COUNT : r->n / (25 * d);
    for (i = 0; i < e->config.n_moves; i++)
        if (e->moves[i].kind == BML_MCMC_MIXTURE) r->move = e->moves[i];
    if (!bml_mcmc__density_arrays(r)) return BML_MCMC_NO_MEMORY;
    if (!bml_mcmc__fit_mixture(r, &rng))
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "the reference points span less than the space");
    r->other = NULL; /* the caller may let go of them */
    return BML_MCMC_OK;
}

static int bml_mcmc__allocate(bml_mcmc_ensemble *e) {
    size_t W = (size_t)e->config.n_walkers, D = (size_t)e->config.n_dim, H = W / 2;
    bml_mcmc__half *h = &e->half;
    int i, density = 0; /* is there a move that needs fit's arrays? */
    for (i = 0; i < e->config.n_moves; i++) density |= bml_mcmc__moves[e->moves[i].kind].fit != NULL;
    h->n = (int)H, h->d = (int)D;
    if (!(e->accepted = (uint64_t *)bml_mcmc__alloc(W, 1, sizeof(uint64_t))) || !(e->theta = bml_mcmc__doubles(W, D)) ||
        !(e->log_prob = bml_mcmc__doubles(W, 1)) || !(e->old_theta = bml_mcmc__doubles(W, D)) ||
        !(e->old_log_prob = bml_mcmc__doubles(W, 1)) || !(e->moved = (unsigned char *)bml_mcmc__alloc(W, 1, 1)) ||
        !(e->order = (int *)bml_mcmc__alloc(W, 1, sizeof(int))) || !(e->other = bml_mcmc__doubles(H, D)) ||
        !(e->proposal = bml_mcmc__doubles(W, D)) || !(e->proposal_log_prob = bml_mcmc__doubles(W, 1)) ||
        !(e->hastings = bml_mcmc__doubles(W, 1)) || !(e->log_u = bml_mcmc__doubles(W, 1)))
        return BML_MCMC_NO_MEMORY;
    if (density && !bml_mcmc__density_arrays(h)) return BML_MCMC_NO_MEMORY;
    h->em_steps = BML_MCMC__EM_STEPS;
    if (e->config.surrogate && (!(e->inner = bml_mcmc__doubles(H, D + 3)) ||
                                !(e->inner_rng = (bml_mcmc_rng *)bml_mcmc__alloc(H, 1, sizeof(bml_mcmc_rng)))))
        return BML_MCMC_NO_MEMORY;
    h->other = e->other;
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_ensemble_create(bml_mcmc_ensemble **e, const bml_mcmc_config *config) {
    int status;
    if (!e) return BML_MCMC_BAD_ARGUMENT;
    *e = (bml_mcmc_ensemble *)bml_mcmc__alloc(1, 1, sizeof **e);
    if (!*e) return BML_MCMC_NO_MEMORY;
    if (!config) return (*e)->refused = bml_mcmc__fail((*e)->message, BML_MCMC_BAD_ARGUMENT, "config is missing");
    if ((status = bml_mcmc__resolve_config(*e, config)) != BML_MCMC_OK) return (*e)->refused = status;
    if ((status = bml_mcmc__allocate(*e)) != BML_MCMC_OK) {
        bml_mcmc_ensemble_free(*e);
        *e = NULL;
        return status;
    }
    if (config->reference && (status = bml_mcmc__fit_reference(*e)) != BML_MCMC_OK) (*e)->refused = status;
    return status;
}

BML_MCMC_DEF void bml_mcmc_ensemble_free(bml_mcmc_ensemble *e) {
    if (!e) return;
    BML_MCMC_FREE(e->accepted), BML_MCMC_FREE(e->theta), BML_MCMC_FREE(e->log_prob), BML_MCMC_FREE(e->old_theta);
    BML_MCMC_FREE(e->old_log_prob), BML_MCMC_FREE(e->moved), BML_MCMC_FREE(e->order), BML_MCMC_FREE(e->other);
    BML_MCMC_FREE(e->proposal), BML_MCMC_FREE(e->proposal_log_prob), BML_MCMC_FREE(e->hastings), BML_MCMC_FREE(e->log_u);
    bml_mcmc__density_free(&e->half);
    bml_mcmc__density_free(&e->reference);
    BML_MCMC_FREE(e->inner), BML_MCMC_FREE(e->inner_rng);
    BML_MCMC_FREE(e->chain), BML_MCMC_FREE(e->chain_log_prob), BML_MCMC_FREE(e);
}

BML_MCMC_DEF const char *bml_mcmc_ensemble_message(const bml_mcmc_ensemble *e) { return e ? e->message : ""; }

BML_MCMC_DEF void bml_mcmc_ensemble_clear(bml_mcmc_ensemble *e) {
    if (!e || e->refused) return;
    e->stored = 0;
    e->steps_counted = 0;
    memset(e->accepted, 0, sizeof *e->accepted * (size_t)e->config.n_walkers);
    memset(e->moves_proposed, 0, sizeof e->moves_proposed);
    memset(e->moves_accepted, 0, sizeof e->moves_accepted);
}

BML_MCMC_DEF bml_mcmc_chain bml_mcmc_ensemble_chain(const bml_mcmc_ensemble *e) {
    bml_mcmc_chain c = {NULL, NULL, 0, 0, 0};
    if (!e || e->refused) return c;
    c.theta = e->chain, c.log_prob = e->chain_log_prob, c.n_steps = e->stored;
    c.n_walkers = e->config.n_walkers, c.n_dim = e->config.n_dim;
    return c;
}

BML_MCMC_DEF bml_mcmc_ensemble_info bml_mcmc_ensemble_get_info(const bml_mcmc_ensemble *e) {
    bml_mcmc_ensemble_info i;
    memset(&i, 0, sizeof i);
    if (!e || e->refused) return i;
    i.n_dim = e->config.n_dim, i.n_walkers = e->config.n_walkers, i.n_moves = e->config.n_moves, i.thin = e->config.thin;
    i.step = e->step, i.evaluations = e->evaluations, i.steps_counted = e->steps_counted;
    i.theta = e->theta, i.log_prob = e->log_prob, i.accepted = e->accepted;
    i.moves = e->moves, i.moves_proposed = e->moves_proposed, i.moves_accepted = e->moves_accepted;
    return i;
}

/* >> ensemble: start */

enum { BML_MCMC__REDRAWS = 100 };

/* "(1, 2.5, ...)" of x[d] appended to the message; what does not fit is left out. */
static void bml_mcmc__append_point(char *message, const double *x, int d) {
    int i;
    for (i = 0; i < d; i++) {
        size_t used = strlen(message);
        snprintf(message + used, BML_MCMC__MESSAGE - used, "%s%.10g%s", i ? ", " : " theta = (", x[i], i == d - 1 ? ")" : "");
    }
}

/* Calls the user for theta[n][n_dim] and checks the answers. name[i] is the walker of row i. */
static int bml_mcmc__call(bml_mcmc_ensemble *e, bml_mcmc_log_prob f, double *log_prob, const double *theta, int n, const int *name) {
    int i, d = e->config.n_dim;
    for (i = 0; i < n; i++) log_prob[i] = BML_MCMC__NAN; /* a callback that leaves one out is found */
    f(log_prob, theta, n, d, e->config.user);
    for (i = 0; i < n; i++) {
        int status = log_prob[i] != log_prob[i] ? BML_MCMC_NAN : log_prob[i] > DBL_MAX ? BML_MCMC_INFINITE : BML_MCMC_OK;
        if (status == BML_MCMC_OK) continue;
        bml_mcmc__fail(e->message, status, "%s %s for walker %d after step %llu:",
                       f == e->config.log_prob ? "log-probability" : "surrogate", status == BML_MCMC_NAN ? "NaN" : "+infinity", name ? name[i] : i, (unsigned long long)e->step);
        bml_mcmc__append_point(e->message, theta + (size_t)i * (size_t)d, d);
        return status;
    }
    return BML_MCMC_OK;
}

static int bml_mcmc__evaluate(bml_mcmc_ensemble *e, double *log_prob, const double *theta, int n, const int *name) {
    return bml_mcmc__call(e, e->config.log_prob, log_prob, theta, n, name);
}

/* Spread of parameter i over the walkers must survive rounding, and the correlation matrix must be regular. */
static int bml_mcmc__check_span(bml_mcmc_ensemble *e, const double *theta) {
    int W = e->config.n_walkers, d = e->config.n_dim, i, j, status = BML_MCMC_OK;
    double *mean = bml_mcmc__doubles((size_t)d, 1), *cov = bml_mcmc__doubles((size_t)d, (size_t)d), *sd = bml_mcmc__doubles((size_t)d, 1);
    if (!mean || !cov || !sd) status = bml_mcmc__fail(e->message, BML_MCMC_NO_MEMORY, "start");
    if (!status) bml_mcmc__moments(mean, cov, theta, W, d);
    for (i = 0; i < d && !status; i++) {
        sd[i] = sqrt(cov[i * d + i]);
        if (!(sd[i] > 1e-13 * fabs(mean[i]) && sd[i] < DBL_MAX))
            status = bml_mcmc__fail(e->message, BML_MCMC_BAD_START, "parameter %d is %.10g in all walkers", i, mean[i]);
    }
    for (i = 0; i < d && !status; i++)
        for (j = 0; j <= i; j++) cov[i * d + j] = i == j ? 1 : cov[i * d + j] / sd[i] / sd[j];
    if (!status && !bml_mcmc__cholesky(cov, d, 1e-12))
        status = bml_mcmc__fail(e->message, BML_MCMC_BAD_START, "the walkers lie in a plane: some parameter is given by the others");
    BML_MCMC_FREE(mean), BML_MCMC_FREE(cov), BML_MCMC_FREE(sd);
    return status;
}

static int bml_mcmc__check_start(bml_mcmc_ensemble *e, const double *theta) {
    int W = e->config.n_walkers, d = e->config.n_dim, i, j;
    size_t row = sizeof(double) * (size_t)d;
    for (i = 0; i < W; i++)
        for (j = 0; j < d; j++)
            if (!(fabs(theta[i * d + j]) <= DBL_MAX))
                return bml_mcmc__fail(e->message, BML_MCMC_BAD_START, "walker %d: parameter %d is not finite", i, j);
    for (i = 0; i < W; i++)
        for (j = 0; j < i; j++)
            if (!memcmp(theta + i * d, theta + j * d, row))
                return bml_mcmc__fail(e->message, BML_MCMC_BAD_START, "walkers %d and %d start at the same point", j, i);
    return bml_mcmc__check_span(e, theta);
}

/* The positions are in e->proposal, their log-probabilities beside them: take them. */
static int bml_mcmc__begin(bml_mcmc_ensemble *e) {
    size_t W = (size_t)e->config.n_walkers, i;
    for (i = 0; i < W; i++)
        if (!(e->proposal_log_prob[i] >= -DBL_MAX)) {
            bml_mcmc__fail(e->message, BML_MCMC_BAD_START, "walker %d has log-probability -infinity at", (int)i);
            bml_mcmc__append_point(e->message, e->proposal + i * (size_t)e->config.n_dim, e->config.n_dim);
            return BML_MCMC_BAD_START;
        }
    memcpy(e->theta, e->proposal, sizeof(double) * W * (size_t)e->config.n_dim);
    memcpy(e->log_prob, e->proposal_log_prob, sizeof(double) * W);
    e->started = 1;
    e->message[0] = 0;
    return BML_MCMC_OK;
}

static int bml_mcmc__reset(bml_mcmc_ensemble *e) {
    if (!e) return BML_MCMC_BAD_ARGUMENT;
    if (e->refused) return e->refused;
    e->started = 0;
    e->step = e->evaluations = 0;
    bml_mcmc_ensemble_clear(e);
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_start_given(bml_mcmc_ensemble *e, const double *theta) {
    int status = bml_mcmc__reset(e);
    if (status) return status;
    if (!theta) return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "theta is missing");
    memcpy(e->proposal, theta, sizeof(double) * (size_t)e->config.n_walkers * (size_t)e->config.n_dim);
    if ((status = bml_mcmc__check_start(e, e->proposal)) != BML_MCMC_OK) return status;
    if ((status = bml_mcmc__evaluate(e, e->proposal_log_prob, e->proposal, e->config.n_walkers, NULL)) != BML_MCMC_OK) return status;
    e->evaluations = (uint64_t)e->config.n_walkers;
    return bml_mcmc__begin(e);
}

typedef struct bml_mcmc__source {
    const double *center, *radius; /* a ball, or */
    const bml_mcmc_prior *prior;
} bml_mcmc__source;

static int bml_mcmc__draw(bml_mcmc_ensemble *e, double *theta, const bml_mcmc__source *from, bml_mcmc_rng *rng) {
    int i, d = e->config.n_dim;
    double *cube = e->hastings; /* n_walkers >= 2 n_dim numbers, free between steps */
    for (i = 0; i < d; i++) {
        cube[i] = bml_mcmc_rng_uniform(rng);
        if (!from->prior) theta[i] = from->center[i] + from->radius[i] * (2 * cube[i] - 1);
    }
    return from->prior ? bml_mcmc_prior_transform(from->prior, theta, cube) : BML_MCMC_OK;
}

/* Draws every walker from its own stream; those at -infinity again, together, up to BML_MCMC__REDRAWS times. */
static int bml_mcmc__start_drawn(bml_mcmc_ensemble *e, const bml_mcmc__source *from) {
    int W = e->config.n_walkers, d = e->config.n_dim, todo = W, redraw, i, left, status;
    size_t row = sizeof(double) * (size_t)d;
    for (i = 0; i < W; i++) e->order[i] = i;
    for (redraw = 0; redraw < BML_MCMC__REDRAWS && todo; redraw++) {
        for (i = 0; i < todo; i++) {
            bml_mcmc_rng rng = bml_mcmc__stream(e->config.seed, (uint32_t)e->order[i], 0, 0);
            rng.counter[0] = (uint32_t)(redraw * d); /* d uniforms use fewer than d blocks */
            status = bml_mcmc__draw(e, e->old_theta + i * d, from, &rng);
            if (status) return bml_mcmc__fail(e->message, status, "walker %d could not be drawn from the prior", e->order[i]);
        }
        status = bml_mcmc__evaluate(e, e->old_log_prob, e->old_theta, todo, e->order);
        if (status) return status;
        e->evaluations += (uint64_t)todo;
        for (i = left = 0; i < todo; i++) {
            int w = e->order[i];
            memcpy(e->proposal + w * d, e->old_theta + i * d, row);
            e->proposal_log_prob[w] = e->old_log_prob[i];
            if (!(e->old_log_prob[i] >= -DBL_MAX)) e->order[left++] = w;
        }
        todo = left;
    }
    if (!todo && (status = bml_mcmc__check_start(e, e->proposal)) != BML_MCMC_OK) return status;
    return bml_mcmc__begin(e);
}

BML_MCMC_DEF int bml_mcmc_start_ball(bml_mcmc_ensemble *e, const double *center, const double *radius) {
    bml_mcmc__source from;
    int i, status = bml_mcmc__reset(e);
    if (status) return status;
    if (!center || !radius) return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "center or radius is missing");
    for (i = 0; i < e->config.n_dim; i++)
        if (!(fabs(center[i]) <= DBL_MAX && radius[i] > 0 && radius[i] <= DBL_MAX))
            return bml_mcmc__fail(e->message, BML_MCMC_BAD_START, "ball: parameter %d has center %g and radius %g", i, center[i], radius[i]);
    from.center = center, from.radius = radius, from.prior = NULL;
    return bml_mcmc__start_drawn(e, &from);
}

static int bml_mcmc__prior_dim(const bml_mcmc_prior *prior);

BML_MCMC_DEF int bml_mcmc_start_prior(bml_mcmc_ensemble *e, const bml_mcmc_prior *prior) {
    bml_mcmc__source from;
    int status = bml_mcmc__reset(e);
    if (status) return status;
    if (!prior || bml_mcmc__prior_dim(prior) != e->config.n_dim)
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "the prior has %d dimensions, the sampler %d",
                              prior ? bml_mcmc__prior_dim(prior) : 0, e->config.n_dim);
    from.center = from.radius = NULL, from.prior = prior;
    return bml_mcmc__start_drawn(e, &from);
}

/* >> ensemble: steps */

/* Room for `more` further steps; grows by half at least, so that many short runs do not copy the chain each time. */
static int bml_mcmc__reserve(bml_mcmc_ensemble *e, size_t more) {
    size_t W = (size_t)e->config.n_walkers, D = (size_t)e->config.n_dim, capacity = e->stored + more, bytes, bytes_lp;
    double *p;
    if (capacity < more) return bml_mcmc__fail(e->message, BML_MCMC_TOO_LARGE, "chain of more than 2^64 steps");
    if (capacity <= e->capacity) return BML_MCMC_OK;
    if (capacity < e->capacity + e->capacity / 2) capacity = e->capacity + e->capacity / 2;
    if (!bml_mcmc__mul(&bytes, capacity, W, D * sizeof(double)) || !bml_mcmc__mul(&bytes_lp, capacity, W, sizeof(double)))
        return bml_mcmc__fail(e->message, BML_MCMC_TOO_LARGE, "chain of %llu steps", (unsigned long long)capacity);
    if ((p = (double *)BML_MCMC_REALLOC(e->chain, bytes)) != NULL) e->chain = p;
    if (p && (p = (double *)BML_MCMC_REALLOC(e->chain_log_prob, bytes_lp)) != NULL) e->chain_log_prob = p;
    if (!p) return bml_mcmc__fail(e->message, BML_MCMC_NO_MEMORY, "chain of %llu steps", (unsigned long long)capacity);
    e->capacity = capacity;
    return BML_MCMC_OK;
}

/* A random order of the walkers: its first half is updated first (Fisher & Yates). */
static void bml_mcmc__shuffle(int *order, int n, bml_mcmc_rng *rng) {
    int i;
    for (i = 0; i < n; i++) {
        int j = bml_mcmc__below(rng, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
}

/* Proposals for the walkers mine[0..H-1]; each draws from its own stream of this step. */
static void bml_mcmc__propose(bml_mcmc_ensemble *e, const int *mine, int fitted) {
    const bml_mcmc__half *half = &e->half, *from = e->half.move.kind == BML_MCMC_MIXTURE && e->reference.n ? &e->reference : half;
    int i, j, d = half->d, kind = fitted ? half->move.kind : BML_MCMC_STRETCH;
    uint64_t step = e->step + 1;
    for (i = 0; i < half->n; i++) {
        bml_mcmc_rng rng = bml_mcmc__stream(e->config.seed, (uint32_t)mine[i], (uint32_t)step, (uint32_t)(step >> 32));
        const double *x = e->theta + mine[i] * d;
        double *y = e->proposal + i * d, check = 0;
        e->log_u[i] = log(bml_mcmc_rng_uniform(&rng));
        e->hastings[i] = bml_mcmc__moves[kind].propose(y, x, from, &rng);
        for (j = 0; j < d; j++) check += 0 * y[j];
        if (!(check == 0 && e->hastings[i] <= DBL_MAX)) { /* overflowed: asks for x again and stays there */
            memcpy(y, x, sizeof(double) * (size_t)d);
            e->hastings[i] = -BML_MCMC__INF;
        }
    }
}

/* Which move an inner step takes, from a uniform number. */
static int bml_mcmc__inner_kind(double u, double mixture) {
    return u < mixture ? BML_MCMC_MIXTURE : u < mixture + 0.5 * (1 - mixture) ? BML_MCMC_STRETCH : BML_MCMC_DE;
}

/* Proposals of the surrogate move. All walkers of the half take each inner step together, so that the surrogate is called
   for many points at once; inner = {positions tried [H][d], log s tried [H], log s now [H], log s at the start [H]}. */
static int bml_mcmc__propose_surrogate(bml_mcmc_ensemble *e, const int *mine) {
    const bml_mcmc__half *half = &e->half;
    bml_mcmc__half inner = e->half; /* the same complementary half, with the inner moves' scales */
    int H = half->n, d = half->d, i, k, status;
    size_t bytes = sizeof(double) * (size_t)d;
    double *tried = e->inner, *log_tried = tried + H * d, *log_now = log_tried + H, *log_start = log_now + H;
    uint64_t step = e->step + 1;
    for (i = 0; i < H; i++) {
        e->inner_rng[i] = bml_mcmc__stream(e->config.seed, (uint32_t)mine[i], (uint32_t)step, (uint32_t)(step >> 32));
        e->log_u[i] = log(bml_mcmc_rng_uniform(&e->inner_rng[i]));
        memcpy(e->proposal + i * d, e->theta + mine[i] * d, bytes);
    }
    if ((status = bml_mcmc__call(e, e->config.surrogate, log_start, e->proposal, H, mine)) != BML_MCMC_OK) return status;
    memcpy(log_now, log_start, sizeof(double) * (size_t)H);
    for (k = 0; k < half->move.count; k++) {
        for (i = 0; i < H; i++) {
            bml_mcmc_rng *rng = &e->inner_rng[i];
            int j, kind = bml_mcmc__inner_kind(bml_mcmc_rng_uniform(rng), e->reference.n ? half->move.scale : 0);
            double *x = e->proposal + i * d, *y = tried + i * d, check = 0;
            inner.move.scale = kind == BML_MCMC_DE ? 2.38 / sqrt(2.0 * d) : bml_mcmc__moves[kind].scale;
            e->hastings[i] = bml_mcmc__moves[kind].propose(y, x, kind == BML_MCMC_MIXTURE ? &e->reference : &inner, rng);
            for (j = 0; j < d; j++) check += 0 * y[j];
            if (!(check == 0)) memcpy(y, x, bytes);
        }
        if ((status = bml_mcmc__call(e, e->config.surrogate, log_tried, tried, H, mine)) != BML_MCMC_OK) return status;
        for (i = 0; i < H; i++)
            if (log(bml_mcmc_rng_uniform(&e->inner_rng[i])) < e->hastings[i] + log_tried[i] - log_now[i]) {
                memcpy(e->proposal + i * d, tried + i * d, bytes);
                log_now[i] = log_tried[i];
            }
    }
    for (i = 0; i < H; i++) /* a start that the surrogate calls impossible cannot be left by this move */
        e->hastings[i] = log_start[i] > -BML_MCMC__INF ? log_start[i] - log_now[i] : -BML_MCMC__INF;
    return BML_MCMC_OK;
}

/* Moves half 0 or 1 of the order, the other standing still. Positions change, counts do not. */
static int bml_mcmc__half_step(bml_mcmc_ensemble *e, int which, int *move, bml_mcmc_rng *shared) {
    bml_mcmc__half *half = &e->half;
    int i, d = half->d, H = half->n, m = 0, fitted = 1, status;
    const int *mine = e->order + which * H, *theirs = e->order + (1 - which) * H;
    double u = bml_mcmc_rng_uniform(shared);
    while (m < e->config.n_moves - 1 && u > e->cumulative[m]) m++;
    *move = m;
    half->move = e->moves[m];
    for (i = 0; i < H; i++) memcpy(e->other + i * d, e->theta + theirs[i] * d, sizeof(double) * (size_t)d);
    if (bml_mcmc__moves[half->move.kind].fit && !(half->move.kind == BML_MCMC_MIXTURE && e->reference.n)) fitted = bml_mcmc__moves[half->move.kind].fit(half, shared);
    if (!fitted) half->move.scale = bml_mcmc__moves[BML_MCMC_STRETCH].scale;
    if (half->move.kind == BML_MCMC_SURROGATE) {
        if ((status = bml_mcmc__propose_surrogate(e, mine)) != BML_MCMC_OK) return status;
    } else {
        bml_mcmc__propose(e, mine, fitted);
    }
    status = bml_mcmc__evaluate(e, e->proposal_log_prob, e->proposal, H, mine);
    if (status) return status;
    for (i = 0; i < H; i++) {
        int w = mine[i];
        e->moved[w] = e->log_u[i] < e->hastings[i] + e->proposal_log_prob[i] - e->log_prob[w];
        if (!e->moved[w]) continue;
        memcpy(e->theta + w * d, e->proposal + i * d, sizeof(double) * (size_t)d);
        e->log_prob[w] = e->proposal_log_prob[i];
    }
    return BML_MCMC_OK;
}

/* One whole step, or none: a failing callback leaves the positions of the step before. */
static int bml_mcmc__step(bml_mcmc_ensemble *e) {
    int W = e->config.n_walkers, d = e->config.n_dim, H = W / 2, which, i, move, status;
    uint64_t step = e->step + 1, taken[2];
    int used[2];
    size_t bytes = sizeof(double) * (size_t)W;
    bml_mcmc_rng shared = bml_mcmc__stream(e->config.seed, bml_mcmc__shared, (uint32_t)step, (uint32_t)(step >> 32));
    memcpy(e->old_theta, e->theta, bytes * (size_t)d);
    memcpy(e->old_log_prob, e->log_prob, bytes);
    bml_mcmc__shuffle(e->order, W, &shared);
    for (which = 0; which < 2; which++) {
        status = bml_mcmc__half_step(e, which, &move, &shared);
        if (status) {
            memcpy(e->theta, e->old_theta, bytes * (size_t)d);
            memcpy(e->log_prob, e->old_log_prob, bytes);
            return status;
        }
        used[which] = move, taken[which] = 0;
        for (i = 0; i < H; i++) taken[which] += e->moved[e->order[which * H + i]];
    }
    for (i = 0; i < W; i++) e->accepted[i] += e->moved[i];
    for (which = 0; which < 2; which++) {
        e->moves_proposed[used[which]] += (uint64_t)H;
        e->moves_accepted[used[which]] += taken[which];
    }
    e->evaluations += (uint64_t)W;
    e->step++, e->steps_counted++;
    return BML_MCMC_OK;
}

static int bml_mcmc__report(const bml_mcmc_ensemble *e, uint64_t last) {
    bml_mcmc_progress p;
    uint64_t accepted = 0;
    int i;
    for (i = 0; i < e->config.n_moves; i++) accepted += e->moves_accepted[i];
    p.step = e->step, p.last = last, p.evaluations = e->evaluations;
    p.acceptance = (double)accepted / ((double)e->steps_counted * e->config.n_walkers);
    return e->config.progress(&p, e->config.progress_user);
}

BML_MCMC_DEF int bml_mcmc_run(bml_mcmc_ensemble *e, size_t n_steps) {
    size_t W, D;
    uint64_t last, thin;
    int status;
    if (!e) return BML_MCMC_BAD_ARGUMENT;
    if (e->refused) return e->refused;
    if (!e->started) return bml_mcmc__fail(e->message, BML_MCMC_NOT_STARTED, "call one of bml_mcmc_start_... first");
    W = (size_t)e->config.n_walkers, D = (size_t)e->config.n_dim, thin = (uint64_t)e->config.thin;
    last = e->step + n_steps;
    if (last < e->step) return bml_mcmc__fail(e->message, BML_MCMC_TOO_LARGE, "more than 2^64 steps");
    e->message[0] = 0;
    if ((status = bml_mcmc__reserve(e, (size_t)(last / thin - e->step / thin))) != BML_MCMC_OK) return status;
    while (e->step < last) {
        if ((status = bml_mcmc__step(e)) != BML_MCMC_OK) return status;
        if (e->step % thin == 0) {
            memcpy(e->chain + e->stored * W * D, e->theta, sizeof(double) * W * D);
            memcpy(e->chain_log_prob + e->stored * W, e->log_prob, sizeof(double) * W);
            e->stored++;
        }
        if (e->config.progress && bml_mcmc__report(e, last))
            return bml_mcmc__fail(e->message, BML_MCMC_CANCELLED, "after step %llu", (unsigned long long)e->step);
    }
    return BML_MCMC_OK;
}

/* >> ensemble: save and load
   The state is a row of 8-byte words, integers and doubles, in this machine's byte order: magic, version, size, checksum;
   then what must agree with the configuration; then counts; then the arrays. */

enum { BML_MCMC__STATE_VERSION = 1 };
static const uint64_t bml_mcmc__state_magic = 0x62616c656e73626dull; /* other byte orders read another number */

/* FNV-1a, a word at a time, with a shift so that high bits reach the low ones. */
static uint64_t bml_mcmc__checksum(const unsigned char *p, size_t words) {
    uint64_t h = 14695981039346656037ull, w;
    for (; words; words--, p += 8) {
        memcpy(&w, p, 8);
        h = (h ^ w) * 1099511628211ull;
        h ^= h >> 29;
    }
    return h;
}

/* One field of the state, copied to the buffer or (load) from it; doubles and uint64_t alike. */
static void bml_mcmc__words(unsigned char **at, void *field, size_t words, int load) {
    if (load) memcpy(field, *at, 8 * words);
    else memcpy(*at, field, 8 * words);
    *at += 8 * words;
}

enum { BML_MCMC__HEAD = 4, BML_MCMC__FIXED = 5 + 4 * BML_MCMC_MAX_MOVES, BML_MCMC__COUNTS = 4 + 2 * BML_MCMC_MAX_MOVES };

/* Words that a state must share with the sampler it is loaded into. */
static void bml_mcmc__fingerprint(uint64_t *words /*[BML_MCMC__FIXED]*/, const bml_mcmc_ensemble *e) {
    int i;
    memset(words, 0, 8 * BML_MCMC__FIXED);
    words[0] = (uint64_t)e->config.n_dim, words[1] = (uint64_t)e->config.n_walkers, words[2] = e->config.seed;
    words[3] = (uint64_t)e->config.thin, words[4] = (uint64_t)e->config.n_moves;
    for (i = 0; i < e->config.n_moves; i++) {
        uint64_t *w = words + 5 + 4 * i;
        w[0] = (uint64_t)e->moves[i].kind, w[1] = (uint64_t)(int64_t)e->moves[i].count;
        memcpy(w + 2, &e->moves[i].weight, 8);
        memcpy(w + 3, &e->moves[i].scale, 8);
    }
}

static size_t bml_mcmc__state_bytes(const bml_mcmc_ensemble *e, size_t stored) {
    size_t W = (size_t)e->config.n_walkers, D = (size_t)e->config.n_dim;
    return 8 * (BML_MCMC__HEAD + BML_MCMC__FIXED + BML_MCMC__COUNTS + W + (stored + 1) * W * (D + 1));
}

BML_MCMC_DEF size_t bml_mcmc_ensemble_save_size(const bml_mcmc_ensemble *e) {
    return e && !e->refused && e->started ? bml_mcmc__state_bytes(e, e->stored) : 0;
}

/* The counts and arrays, to or from the buffer. */
static void bml_mcmc__transfer(bml_mcmc_ensemble *e, unsigned char **at, int load) {
    size_t W = (size_t)e->config.n_walkers, D = (size_t)e->config.n_dim;
    bml_mcmc__words(at, &e->step, 1, load);
    bml_mcmc__words(at, &e->evaluations, 1, load);
    bml_mcmc__words(at, &e->steps_counted, 1, load);
    bml_mcmc__words(at, e->moves_proposed, BML_MCMC_MAX_MOVES, load);
    bml_mcmc__words(at, e->moves_accepted, BML_MCMC_MAX_MOVES, load);
    bml_mcmc__words(at, e->accepted, W, load);
    bml_mcmc__words(at, e->theta, W * D, load);
    bml_mcmc__words(at, e->log_prob, W, load);
    if (!e->stored) return;
    bml_mcmc__words(at, e->chain, e->stored * W * D, load);
    bml_mcmc__words(at, e->chain_log_prob, e->stored * W, load);
}

BML_MCMC_DEF int bml_mcmc_ensemble_save(bml_mcmc_ensemble *e, void *buffer, size_t size) {
    uint64_t head[BML_MCMC__HEAD], fixed[BML_MCMC__FIXED], stored;
    unsigned char *at = (unsigned char *)buffer;
    size_t bytes = bml_mcmc_ensemble_save_size(e);
    if (!e) return BML_MCMC_BAD_ARGUMENT;
    if (e->refused) return e->refused;
    if (!e->started) return bml_mcmc__fail(e->message, BML_MCMC_NOT_STARTED, "nothing to save");
    if (!buffer || size < bytes) return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "the state needs %llu bytes", (unsigned long long)bytes);
    bml_mcmc__fingerprint(fixed, e);
    stored = e->stored;
    at += 8 * BML_MCMC__HEAD;
    bml_mcmc__words(&at, fixed, BML_MCMC__FIXED, 0);
    bml_mcmc__words(&at, &stored, 1, 0);
    bml_mcmc__transfer(e, &at, 0);
    at = (unsigned char *)buffer;
    head[0] = bml_mcmc__state_magic, head[1] = BML_MCMC__STATE_VERSION, head[2] = bytes;
    head[3] = bml_mcmc__checksum(at + 8 * BML_MCMC__HEAD, bytes / 8 - BML_MCMC__HEAD);
    memcpy(at, head, sizeof head);
    return BML_MCMC_OK;
}

/* Everything that can be wrong is found here, before the sampler is touched. */
static int bml_mcmc__check_state(bml_mcmc_ensemble *e, const unsigned char *at, size_t size, size_t *stored) {
    uint64_t head[BML_MCMC__HEAD], fixed[BML_MCMC__FIXED], want[BML_MCMC__FIXED], n;
    size_t least = bml_mcmc__state_bytes(e, 0), row = bml_mcmc__state_bytes(e, 1) - least;
    if (size < least) return bml_mcmc__fail(e->message, BML_MCMC_BAD_STATE, "only %llu bytes", (unsigned long long)size);
    memcpy(head, at, sizeof head);
    if (head[0] != bml_mcmc__state_magic)
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_STATE, "not a state of this sampler (or of this byte order)");
    if (head[1] != BML_MCMC__STATE_VERSION)
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_STATE, "version %llu", (unsigned long long)head[1]);
    memcpy(fixed, at + sizeof head, sizeof fixed);
    bml_mcmc__fingerprint(want, e);
    if (memcmp(fixed, want, sizeof want))
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_STATE,
                              "saved with n_dim %llu, %llu walkers, seed %llu, thin %llu, %llu moves: not these, or other move settings",
                              (unsigned long long)fixed[0], (unsigned long long)fixed[1], (unsigned long long)fixed[2],
                              (unsigned long long)fixed[3], (unsigned long long)fixed[4]);
    memcpy(&n, at + sizeof head + sizeof fixed, 8);
    if (n > (size - least) / row || head[2] != least + n * row || size < head[2])
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_STATE, "%llu bytes do not hold %llu steps", (unsigned long long)size, (unsigned long long)n);
    if (head[3] != bml_mcmc__checksum(at + sizeof head, (size_t)head[2] / 8 - BML_MCMC__HEAD))
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_STATE, "the checksum is wrong");
    *stored = (size_t)n;
    return BML_MCMC_OK;
}

/* The saved positions must have their saved log-probabilities in this sampler too: another problem does not pass. */
static int bml_mcmc__check_problem(bml_mcmc_ensemble *e, const unsigned char *at) {
    size_t W = (size_t)e->config.n_walkers, D = (size_t)e->config.n_dim, i;
    const unsigned char *positions = at + 8 * (BML_MCMC__HEAD + BML_MCMC__FIXED + BML_MCMC__COUNTS + W);
    int status;
    memcpy(e->proposal, positions, 8 * W * D);
    memcpy(e->old_log_prob, positions + 8 * W * D, 8 * W);
    status = bml_mcmc__evaluate(e, e->proposal_log_prob, e->proposal, (int)W, NULL);
    for (i = 0; i < W && !status; i++)
        if (!(fabs(e->proposal_log_prob[i] - e->old_log_prob[i]) <= 1e-6 * (1 + fabs(e->old_log_prob[i]))))
            status = bml_mcmc__fail(e->message, BML_MCMC_BAD_STATE, "walker %d: log-probability %.10g saved, %.10g now: another problem",
                                    (int)i, e->old_log_prob[i], e->proposal_log_prob[i]);
    return status;
}

BML_MCMC_DEF int bml_mcmc_ensemble_load(bml_mcmc_ensemble *e, const void *buffer, size_t size) {
    const unsigned char *from = (const unsigned char *)buffer;
    unsigned char *at;
    size_t stored = 0, kept;
    int status;
    if (!e) return BML_MCMC_BAD_ARGUMENT;
    if (e->refused) return e->refused;
    if (!buffer) return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "buffer is missing");
    if ((status = bml_mcmc__check_state(e, from, size, &stored)) != BML_MCMC_OK) return status;
    if ((status = bml_mcmc__check_problem(e, from)) != BML_MCMC_OK) return status;
    kept = e->stored;
    if (stored > kept && (status = bml_mcmc__reserve(e, stored - kept)) != BML_MCMC_OK) return status;
    e->stored = stored;
    at = (unsigned char *)buffer + 8 * (BML_MCMC__HEAD + BML_MCMC__FIXED + 1); /* only read from */
    bml_mcmc__transfer(e, &at, 1);
    e->started = 1;
    e->message[0] = 0;
    return BML_MCMC_OK;
}

/* >> diagnostics */

BML_MCMC_DEF bml_mcmc_chain bml_mcmc_chain_drop(bml_mcmc_chain chain, size_t burn) {
    size_t W = (size_t)chain.n_walkers;
    if (burn > chain.n_steps) burn = chain.n_steps;
    if (chain.theta) chain.theta += burn * W * (size_t)chain.n_dim;
    if (chain.log_prob) chain.log_prob += burn * W;
    chain.n_steps -= burn;
    return chain;
}

/* The sum over walkers of the normalised autocorrelations is one inverse transform of the sum of their power spectra;
   two walkers share a complex transform, since |FT(a + i b)|^2 symmetrised is |FT a|^2 + |FT b|^2. The forward transform
   leaves its bins in bit-reversed order and the inverse one takes them so: no reordering. w[h + j] = exp(-i pi j/h). */
static void bml_mcmc__fft_forward(double *BML_MCMC_RESTRICT re, double *BML_MCMC_RESTRICT im, const double *BML_MCMC_RESTRICT wr,
                                  const double *BML_MCMC_RESTRICT wi, size_t n) {
    size_t h = n / 2, j;
    if (n < 2) return;
    for (j = 0; j < h; j++) {
        double dr = re[j] - re[j + h], di = im[j] - im[j + h];
        re[j] += re[j + h];
        im[j] += im[j + h];
        re[j + h] = dr * wr[h + j] - di * wi[h + j];
        im[j + h] = dr * wi[h + j] + di * wr[h + j];
    }
    bml_mcmc__fft_forward(re, im, wr, wi, h);
    bml_mcmc__fft_forward(re + h, im + h, wr, wi, h);
}

static void bml_mcmc__fft_inverse(double *BML_MCMC_RESTRICT re, double *BML_MCMC_RESTRICT im, const double *BML_MCMC_RESTRICT wr,
                                  const double *BML_MCMC_RESTRICT wi, size_t n) {
    size_t h = n / 2, j;
    if (n < 2) return;
    bml_mcmc__fft_inverse(re, im, wr, wi, h);
    bml_mcmc__fft_inverse(re + h, im + h, wr, wi, h);
    for (j = 0; j < h; j++) {
        double dr = re[j + h] * wr[h + j] + im[j + h] * wi[h + j], di = im[j + h] * wr[h + j] - re[j + h] * wi[h + j];
        re[j + h] = re[j] - dr;
        im[j + h] = im[j] - di;
        re[j] += dr;
        im[j] += di;
    }
}

enum { BML_MCMC__COLUMNS = 8 }; /* parameters gathered at once: a cache line of the chain */

typedef struct bml_mcmc__spectrum {
    size_t n;                     /* transform length, at least 1.5 n_steps: lags to n_steps/2 are free of wrap-around */
    double *wr, *wi, *re, *im;    /* [n] each */
    double *column;               /* [BML_MCMC__COLUMNS][2][n_steps] two walkers */
    double *power;                /* [BML_MCMC__COLUMNS][n] summed over walkers */
    int stuck[BML_MCMC__COLUMNS]; /* walkers that never moved */
} bml_mcmc__spectrum;

static void bml_mcmc__spectrum_free(bml_mcmc__spectrum *s) {
    BML_MCMC_FREE(s->wr), BML_MCMC_FREE(s->wi), BML_MCMC_FREE(s->re), BML_MCMC_FREE(s->im);
    BML_MCMC_FREE(s->column), BML_MCMC_FREE(s->power);
}

static int bml_mcmc__spectrum_init(bml_mcmc__spectrum *s, size_t n_steps) {
    size_t h, j, n = 16;
    memset(s, 0, sizeof *s);
    while (n < n_steps + n_steps / 2) n *= 2;
    s->n = n;
    if (!(s->wr = bml_mcmc__doubles(n, 1)) || !(s->wi = bml_mcmc__doubles(n, 1)) || !(s->re = bml_mcmc__doubles(n, 1)) ||
        !(s->im = bml_mcmc__doubles(n, 1)) || !(s->column = bml_mcmc__doubles(n_steps, 2 * BML_MCMC__COLUMNS)) ||
        !(s->power = bml_mcmc__doubles(n, BML_MCMC__COLUMNS)))
        return BML_MCMC_NO_MEMORY;
    for (h = 1; h < n; h *= 2)
        for (j = 0; j < h; j++) {
            double angle = -3.141592653589793 * (double)j / (double)h;
            s->wr[h + j] = cos(angle);
            s->wi[h + j] = sin(angle);
        }
    return BML_MCMC_OK;
}

/* x[n] with its mean removed and sum of squares 1 goes to y[n]; 0 (and y = 0) when it is constant. */
static int bml_mcmc__normalise(double *y, const double *x, size_t n) {
    double mean = 0, sum2 = 0, scale;
    size_t i;
    for (i = 0; i < n; i++) mean += (x[i] - x[0]) / (double)n;
    mean += x[0];
    for (i = 0; i < n; i++) sum2 += (x[i] - mean) * (x[i] - mean);
    scale = sum2 > 1e-26 * mean * mean * (double)n && sum2 < DBL_MAX ? 1 / sqrt(sum2) : 0;
    for (i = 0; i < n; i++) y[i] = (x[i] - mean) * scale;
    return scale > 0;
}

/* Adds walkers w and w+1 (if there is one) of parameters k0..k0+nk-1 to the spectra. */
static void bml_mcmc__spectrum_add(bml_mcmc__spectrum *s, const bml_mcmc_chain *c, int w, int k0, int nk) {
    size_t n = c->n_steps, t, stride = (size_t)c->n_walkers * (size_t)c->n_dim;
    int pair = w + 1 < c->n_walkers, k, p;
    for (t = 0; t < n; t++)
        for (p = 0; p <= pair; p++)
            for (k = 0; k < nk; k++)
                s->column[(size_t)(2 * k + p) * n + t] = c->theta[t * stride + (size_t)((w + p) * c->n_dim + k0 + k)];
    for (k = 0; k < nk; k++) {
        double *power = s->power + (size_t)k * s->n;
        memset(s->re, 0, sizeof(double) * s->n);
        memset(s->im, 0, sizeof(double) * s->n);
        s->stuck[k] += !bml_mcmc__normalise(s->re, s->column + (size_t)(2 * k) * n, n);
        if (pair) s->stuck[k] += !bml_mcmc__normalise(s->im, s->column + (size_t)(2 * k + 1) * n, n);
        bml_mcmc__fft_forward(s->re, s->im, s->wr, s->wi, s->n);
        for (t = 0; t < s->n; t++) power[t] += s->re[t] * s->re[t] + s->im[t] * s->im[t];
    }
}

/* tau of column k once all walkers are in: Sokal's window over lags to n_steps/2. */
static double bml_mcmc__spectrum_tau(bml_mcmc__spectrum *s, int k, size_t n_steps, int n_walkers) {
    double tau = 1;
    size_t t;
    memcpy(s->re, s->power + (size_t)k * s->n, sizeof(double) * s->n);
    memset(s->im, 0, sizeof(double) * s->n);
    bml_mcmc__fft_inverse(s->re, s->im, s->wr, s->wi, s->n);
    for (t = 1; t <= n_steps / 2 && (double)(t - 1) < 5 * tau; t++)
        tau += 2 * (s->re[t] / (double)s->n + s->stuck[k] * (1 - (double)t / (double)n_steps)) / n_walkers;
    return tau;
}

static int bml_mcmc__check_chain(const bml_mcmc_chain *c) {
    size_t i, n;
    if (!c->theta || c->n_steps < 8 || c->n_walkers < 1 || c->n_dim < 1) return BML_MCMC_BAD_ARGUMENT;
    if (!bml_mcmc__mul(&n, c->n_steps, (size_t)c->n_walkers, (size_t)c->n_dim)) return BML_MCMC_TOO_LARGE;
    for (i = 0; i < n; i++)
        if (!(fabs(c->theta[i]) <= DBL_MAX)) return BML_MCMC_BAD_ARGUMENT;
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_autocorrelation(double *tau, bml_mcmc_chain chain) {
    bml_mcmc__spectrum s;
    int status = tau ? bml_mcmc__check_chain(&chain) : BML_MCMC_BAD_ARGUMENT, k0, k, w;
    if (status) return status;
    status = bml_mcmc__spectrum_init(&s, chain.n_steps);
    for (k0 = 0; k0 < chain.n_dim && status != BML_MCMC_NO_MEMORY; k0 += BML_MCMC__COLUMNS) {
        int nk = chain.n_dim - k0 < BML_MCMC__COLUMNS ? chain.n_dim - k0 : BML_MCMC__COLUMNS;
        memset(s.power, 0, sizeof(double) * s.n * BML_MCMC__COLUMNS);
        memset(s.stuck, 0, sizeof s.stuck);
        for (w = 0; w < chain.n_walkers; w += 2) bml_mcmc__spectrum_add(&s, &chain, w, k0, nk);
        for (k = 0; k < nk; k++) {
            tau[k0 + k] = bml_mcmc__spectrum_tau(&s, k, chain.n_steps, chain.n_walkers);
            if (!((double)chain.n_steps >= 50 * tau[k0 + k])) status = BML_MCMC_NOT_CONVERGED;
        }
    }
    bml_mcmc__spectrum_free(&s);
    return status;
}

/* a[n] partly sorted so that a[k] is the k-th smallest and nothing after it is smaller (Hoare 1961). */
static void bml_mcmc__select(double *a, size_t n, size_t k) {
    size_t lo = 0, hi = n - 1;
    while (lo < hi) {
        double pivot = a[lo + (hi - lo) / 2], swap;
        size_t i = lo, j = hi;
        for (;;) {
            while (a[i] < pivot) i++;
            while (pivot < a[j]) j--;
            if (i >= j) break;
            swap = a[i], a[i] = a[j], a[j] = swap;
            i++, j--;
        }
        if (k <= j) hi = j;
        else lo = j + 1;
    }
}

BML_MCMC_DEF double bml_mcmc_quantile(double *values, size_t n, double q) {
    double at, low, high;
    size_t k, i;
    if (!values || n == 0 || !(q >= 0 && q <= 1)) return BML_MCMC__NAN;
    at = q * (double)(n - 1);
    k = (size_t)at;
    bml_mcmc__select(values, n, k);
    low = high = values[k];
    for (i = k + 1; i < n; i++)
        if (i == k + 1 || values[i] < high) high = values[i];
    return low + (at - (double)k) * (high - low);
}

/* Split R-hat of x[n_walkers][n_steps]; infinite when every half-chain is constant at another value. */
static double bml_mcmc__rhat(const double *x, size_t n_steps, int n_walkers) {
    size_t half = n_steps / 2, t;
    double within = 0, grand = 0, between = 0, n = (double)half, m = 2.0 * n_walkers;
    int pass, c;
    for (pass = 0; pass < 2; pass++)
        for (c = 0; c < 2 * n_walkers; c++) { /* the middle step of an odd number is left out */
            const double *y = x + (size_t)(c / 2) * n_steps + (c % 2 ? n_steps - half : 0);
            double mean = 0, sum2 = 0;
            for (t = 0; t < half; t++) mean += (y[t] - x[0]) / n;
            if (pass == 0) {
                for (t = 0; t < half; t++) sum2 += (y[t] - x[0] - mean) * (y[t] - x[0] - mean);
                grand += mean / m;
                within += sum2 / (n - 1) / m;
            } else between += n * (mean - grand) * (mean - grand) / (m - 1);
        }
    return sqrt(((n - 1) / n * within + between / n) / within);
}

/* column[n_walkers][n_steps] of parameter k: quantiles, moments and R-hat. Reorders column last. */
static void bml_mcmc__summarize_column(bml_mcmc_summary *out, double *column, const bml_mcmc_chain *c, int k) {
    size_t n = c->n_steps, W = (size_t)c->n_walkers, t, w, i;
    double total = (double)(n * W), sum2 = 0;
    for (t = 0; t < n; t++)
        for (w = 0; w < W; w++) column[w * n + t] = c->theta[(t * W + w) * (size_t)c->n_dim + (size_t)k];
    out->mean = 0;
    for (i = 0; i < n * W; i++) out->mean += (column[i] - column[0]) / total;
    out->mean += column[0];
    for (i = 0; i < n * W; i++) sum2 += (column[i] - out->mean) * (column[i] - out->mean);
    out->sd = sqrt(sum2 / (total - 1));
    out->rhat = bml_mcmc__rhat(column, n, c->n_walkers);
    out->median = bml_mcmc_quantile(column, n * W, 0.5);
    out->minus = out->median - bml_mcmc_quantile(column, n * W, 0.15865525393145705); /* Phi(-1) */
    out->plus = bml_mcmc_quantile(column, n * W, 0.8413447460685429) - out->median;
}

BML_MCMC_DEF int bml_mcmc_summarize(bml_mcmc_summary *out, bml_mcmc_chain chain) {
    double *tau, *column;
    int status = out ? bml_mcmc__check_chain(&chain) : BML_MCMC_BAD_ARGUMENT, k;
    if (status) return status;
    tau = bml_mcmc__doubles((size_t)chain.n_dim, 1);
    column = bml_mcmc__doubles(chain.n_steps, (size_t)chain.n_walkers);
    status = tau && column ? bml_mcmc_autocorrelation(tau, chain) : BML_MCMC_NO_MEMORY;
    for (k = 0; k < chain.n_dim && status != BML_MCMC_NO_MEMORY; k++) {
        bml_mcmc__summarize_column(out + k, column, &chain, k);
        out[k].tau = tau[k];
        out[k].ess = (double)chain.n_steps * chain.n_walkers / tau[k];
        if (!(out[k].rhat <= 1.1)) status = BML_MCMC_NOT_CONVERGED;
    }
    BML_MCMC_FREE(tau), BML_MCMC_FREE(column);
    return status;
}

BML_MCMC_DEF int bml_mcmc_ensemble_summary(bml_mcmc_ensemble *e, bml_mcmc_summary *out, size_t burn) {
    bml_mcmc_chain chain = bml_mcmc_ensemble_chain(e);
    double worst_tau = 0, worst_rhat = 0;
    int status, k;
    if (!e) return BML_MCMC_BAD_ARGUMENT;
    if (e->refused) return e->refused;
    chain = bml_mcmc_chain_drop(chain, burn / (size_t)e->config.thin);
    status = bml_mcmc_summarize(out, chain);
    if (status != BML_MCMC_OK && status != BML_MCMC_NOT_CONVERGED)
        return bml_mcmc__fail(e->message, status, "summary of %llu stored steps (8 are needed)", (unsigned long long)chain.n_steps);
    for (k = 0; k < chain.n_dim; k++) {
        out[k].tau *= e->config.thin;
        worst_tau = out[k].tau > worst_tau ? out[k].tau : worst_tau;
        worst_rhat = out[k].rhat > worst_rhat ? out[k].rhat : worst_rhat;
    }
    e->message[0] = 0;
    if (status)
        bml_mcmc__fail(e->message, status, "%llu steps, longest tau %.4g (50 of them are needed), largest R-hat %.4g (1.1 is allowed)",
                       (unsigned long long)chain.n_steps * (unsigned long long)e->config.thin, worst_tau, worst_rhat);
    return status;
}

/* >> calibration */

/* Upper regularised incomplete gamma function Q(a, x): series of the lower one below x = a + 1, continued fraction
   above (Abramowitz & Stegun 6.5.29, 6.5.31; the fraction evaluated by Lentz's method). */
static double bml_mcmc__gamma_q(double a, double x) {
    double front = exp(a * log(x) - x - lgamma(a)), sum = 1 / a, term = sum, b = x + 1 - a, c = 1 / DBL_MIN, d = 1 / b, h = d;
    int i;
    if (x < a + 1) {
        for (i = 1; i < 10000 && term > 1e-16 * sum; i++) sum += (term *= x / (a + i));
        return 1 - front * sum;
    }
    for (i = 1; i < 10000; i++) {
        double an = -i * (i - a), factor;
        b += 2;
        d = an * d + b, c = b + an / c;
        d = 1 / (fabs(d) < DBL_MIN ? DBL_MIN : d), c = fabs(c) < DBL_MIN ? DBL_MIN : c;
        h *= (factor = c * d);
        if (fabs(factor - 1) < 1e-15) break;
    }
    return front * h;
}

BML_MCMC_DEF double bml_mcmc_chi2_survival(double x, double k) {
    if (!(k > 0 && x >= 0)) return BML_MCMC__NAN;
    return x == 0 ? 1 : bml_mcmc__gamma_q(0.5 * k, 0.5 * x);
}

BML_MCMC_DEF int bml_mcmc_sbc_ranks(int *ranks, bml_mcmc_chain chain, const double *truth, int n_draws) {
    size_t rows = chain.n_steps * (size_t)chain.n_walkers;
    int status = ranks && truth ? bml_mcmc__check_chain(&chain) : BML_MCMC_BAD_ARGUMENT, i, k;
    if (status) return status;
    if (n_draws < 1 || (size_t)n_draws > rows) return BML_MCMC_BAD_ARGUMENT;
    for (k = 0; k < chain.n_dim; k++) ranks[k] = 0;
    for (i = 0; i < n_draws; i++) { /* evenly over steps; the walker changes from one to the next */
        size_t row = (size_t)(((double)i + 0.5) / n_draws * (double)chain.n_steps) * (size_t)chain.n_walkers + (size_t)(i % chain.n_walkers);
        for (k = 0; k < chain.n_dim; k++) ranks[k] += chain.theta[row * (size_t)chain.n_dim + (size_t)k] < truth[k];
    }
    return BML_MCMC_OK;
}

BML_MCMC_DEF double bml_mcmc_sbc_p_value(const int *ranks, int n, int n_draws, int n_bins) {
    double chi2 = 0;
    int b, i;
    if (!ranks || n < 1 || n_draws < 1 || n_bins < 2 || n_bins > n_draws + 1) return BML_MCMC__NAN;
    for (i = 0; i < n; i++)
        if (ranks[i] < 0 || ranks[i] > n_draws) return BML_MCMC__NAN;
    for (b = 0; b < n_bins; b++) { /* bin b holds ranks first..next-1; when n_bins does not divide, bins differ by one rank */
        int first = (int)((double)b * (n_draws + 1) / n_bins), next = (int)((double)(b + 1) * (n_draws + 1) / n_bins), count = 0;
        double expected = (double)n * (next - first) / (n_draws + 1);
        for (i = 0; i < n; i++) count += ranks[i] >= first && ranks[i] < next;
        chi2 += (count - expected) * (count - expected) / expected;
    }
    return bml_mcmc_chi2_survival(chi2, n_bins - 1);
}

BML_MCMC_DEF int bml_mcmc_coverage(double *fraction, double *sd, const int *ranks, int n, int n_draws, double level) {
    double inside = 0;
    int i;
    if (!fraction || !sd || !ranks || n < 1 || n_draws < 1 || !(level > 0 && level < 1)) return BML_MCMC_BAD_ARGUMENT;
    for (i = 0; i < n; i++) { /* rank r stands for the interval (r, r+1)/(n_draws + 1) of the posterior; edges count in part */
        double lo = ((double)ranks[i]) / (n_draws + 1), hi = (ranks[i] + 1.0) / (n_draws + 1), a = 0.5 - 0.5 * level, b = 0.5 + 0.5 * level;
        if (ranks[i] < 0 || ranks[i] > n_draws) return BML_MCMC_BAD_ARGUMENT;
        lo = lo < a ? a : lo, hi = hi > b ? b : hi;
        if (hi > lo) inside += (hi - lo) * (n_draws + 1);
    }
    *fraction = inside / n;
    *sd = sqrt(level * (1 - level) / n);
    return BML_MCMC_OK;
}

/* >> priors
   Every base density b has three functions of an interval [lo, hi] inside its limits: its mass there, the fraction of that
   mass below x, and the x below which a fraction u lies. Conditional and joint priors are both made of them. */

enum { BML_MCMC__NODES = 33, BML_MCMC__MAX_JOINT = 4 };

struct bml_mcmc_prior {
    int n_dim, refused;
    int first_joint;               /* n_dim when there is none */
    double log_z;                  /* log of the mass of the joint part, M of its first parameter */
    double first_weight[BML_MCMC__NODES]; /* M of what follows, over the first joint parameter */
    bml_mcmc_prior_param *param;   /* [n_dim] x and density point into table */
    double **table;                /* [n_dim] NULL or [3][n]: x, normalised density, cumulative */
    char message[BML_MCMC__MESSAGE];
};

/* Piecewise linear density w at nodes x: the integral up to `at` within interval i. */
static double bml_mcmc__linear_part(const double *x, const double *w, int i, double at) {
    double t = at - x[i], slope = (w[i + 1] - w[i]) / (x[i + 1] - x[i]);
    return t * (w[i] + 0.5 * slope * t);
}

/* Where the integral within interval i reaches `part`: w t + slope t^2/2 = part, in the form that has no cancellation. */
static double bml_mcmc__linear_solve(const double *x, const double *w, int i, double part) {
    double h = x[i + 1] - x[i], slope = (w[i + 1] - w[i]) / h, root = w[i] * w[i] + 2 * slope * part;
    double sum = w[i] + sqrt(root > 0 ? root : 0), t = sum > 0 ? 2 * part / sum : 0;
    return x[i] + (t < 0 ? 0 : t > h ? h : t);
}

/* The interval of the increasing x[n] that holds `at`: 0..n-2. */
static int bml_mcmc__interval(const double *x, int n, double at) {
    int lo = 0, hi = n - 1;
    while (hi - lo > 1) {
        int mid = (lo + hi) / 2;
        if (x[mid] <= at) lo = mid;
        else hi = mid;
    }
    return lo;
}

static double bml_mcmc__table_cdf(const bml_mcmc_prior_param *p, const double *cumulative, double x) {
    int i = bml_mcmc__interval(p->x, p->n, x);
    return cumulative[i] + bml_mcmc__linear_part(p->x, p->density, i, x);
}

static double bml_mcmc__phi(double z) { return 0.5 * erfc(-0.7071067811865476 * z); }

/* z with Phi(z) = p: Abramowitz & Stegun 26.2.23 (error < 4.5e-4), then Halley's iteration on erfc. */
static double bml_mcmc__phi_inverse(double p) {
    double t, z;
    int i;
    if (p > 0.5) return -bml_mcmc__phi_inverse(1 - p);
    if (!(p > DBL_MIN)) return -38; /* Phi(-38) = 2.9e-316 */
    t = sqrt(-2 * log(p));
    z = -(t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))));
    for (i = 0; i < 3; i++) {
        double step = (bml_mcmc__phi(z) - p) * 2.5066282746310002 * exp(0.5 * z * z);
        z -= step / (1 + 0.5 * z * step);
    }
    return z;
}

/* [*a, *b] = the interval in units of sd, mirrored if need be so that it is in the lower tail, where erfc is exact. */
static int bml_mcmc__normal_interval(const bml_mcmc_prior_param *p, double lo, double hi, double *a, double *b) {
    double zl = (lo - p->mean) / p->sd, zh = (hi - p->mean) / p->sd;
    int mirror = zl > 0;
    *a = mirror ? -zh : zl, *b = mirror ? -zl : zh;
    return mirror;
}

static double bml_mcmc__base_mass(const bml_mcmc_prior *prior, int i, double lo, double hi) {
    const bml_mcmc_prior_param *p = &prior->param[i];
    const double *cumulative = prior->table[i] ? prior->table[i] + 2 * p->n : NULL;
    double a, b, all;
    if (!(hi > lo)) return 0;
    switch (p->kind) {
    case BML_MCMC_UNIFORM: return (hi - lo) / (p->upper - p->lower);
    case BML_MCMC_LOG_UNIFORM: return log(hi / lo) / log(p->upper / p->lower);
    case BML_MCMC_NORMAL:
        bml_mcmc__normal_interval(p, p->lower, p->upper, &a, &b);
        all = bml_mcmc__phi(b) - bml_mcmc__phi(a);
        bml_mcmc__normal_interval(p, lo, hi, &a, &b);
        return (bml_mcmc__phi(b) - bml_mcmc__phi(a)) / all;
    default: return bml_mcmc__table_cdf(p, cumulative, hi) - bml_mcmc__table_cdf(p, cumulative, lo);
    }
}

static double bml_mcmc__base_x(const bml_mcmc_prior *prior, int i, double lo, double hi, double u) {
    const bml_mcmc_prior_param *p = &prior->param[i];
    double a, b, x = lo, low, *cumulative;
    int mirror, k;
    switch (p->kind) {
    case BML_MCMC_UNIFORM: x = lo + u * (hi - lo); break;
    case BML_MCMC_LOG_UNIFORM: x = lo * exp(u * log(hi / lo)); break;
    case BML_MCMC_NORMAL:
        mirror = bml_mcmc__normal_interval(p, lo, hi, &a, &b);
        low = bml_mcmc__phi(a);
        x = bml_mcmc__phi_inverse(low + (mirror ? 1 - u : u) * (bml_mcmc__phi(b) - low));
        x = p->mean + p->sd * (mirror ? -x : x);
        break;
    default:
        cumulative = prior->table[i] + 2 * p->n;
        low = bml_mcmc__table_cdf(p, cumulative, lo);
        low += u * (bml_mcmc__table_cdf(p, cumulative, hi) - low);
        k = bml_mcmc__interval(cumulative, p->n, low);
        x = bml_mcmc__linear_solve(p->x, p->density, k, low - cumulative[k]);
    }
    return x < lo ? lo : x > hi ? hi : x; /* rounding must not leave the interval */
}

static double bml_mcmc__base_u(const bml_mcmc_prior *prior, int i, double lo, double hi, double x) {
    double u;
    if (prior->param[i].kind == BML_MCMC_NORMAL && x > prior->param[i].mean) /* small masses are exact, differences not */
        u = 1 - bml_mcmc__base_mass(prior, i, x, hi) / bml_mcmc__base_mass(prior, i, lo, hi);
    else u = bml_mcmc__base_mass(prior, i, lo, x) / bml_mcmc__base_mass(prior, i, lo, hi);
    return u < 0 ? 0 : u > 1 ? 1 : u;
}

static double bml_mcmc__base_log_density(const bml_mcmc_prior *prior, int i, double x) {
    const bml_mcmc_prior_param *p = &prior->param[i];
    double a, b, z;
    int k;
    switch (p->kind) {
    case BML_MCMC_UNIFORM: return -log(p->upper - p->lower);
    case BML_MCMC_LOG_UNIFORM: return -log(x * log(p->upper / p->lower));
    case BML_MCMC_NORMAL:
        bml_mcmc__normal_interval(p, p->lower, p->upper, &a, &b);
        z = (x - p->mean) / p->sd;
        return -0.5 * z * z - log(2.5066282746310002 * p->sd * (bml_mcmc__phi(b) - bml_mcmc__phi(a)));
    default:
        k = bml_mcmc__interval(p->x, p->n, x);
        return log(p->density[k] + (p->density[k + 1] - p->density[k]) * (x - p->x[k]) / (p->x[k + 1] - p->x[k]));
    }
}

/* The interval of parameter i given theta[0..i-1]; 0 when it is empty. */
static int bml_mcmc__limits(const bml_mcmc_prior *prior, int i, const double *theta, double *lo, double *hi) {
    const bml_mcmc_prior_param *p = &prior->param[i];
    *lo = p->lower, *hi = p->upper;
    if (p->bounds) p->bounds(lo, hi, theta, i, p->user);
    if (!(*lo >= p->lower)) *lo = p->lower; /* bounds narrow, they do not widen */
    if (!(*hi <= p->upper)) *hi = p->upper;
    return *hi > *lo;
}

static double bml_mcmc__joint_mass(const bml_mcmc_prior *prior, int i, double *theta);

/* weight[g] = M of the parameters after i, with parameter i at the fraction g/(nodes-1) of its mass in [lo, hi]; returns the
   mean over that fraction. theta[0..i-1] given, the rest is scratch. */
static double bml_mcmc__joint_nodes(const bml_mcmc_prior *prior, int i, double lo, double hi, double *theta, double *weight) {
    double sum = 0;
    int g;
    for (g = 0; g < BML_MCMC__NODES; g++) {
        theta[i] = bml_mcmc__base_x(prior, i, lo, hi, (double)g / (BML_MCMC__NODES - 1));
        weight[g] = bml_mcmc__joint_mass(prior, i + 1, theta);
        sum += weight[g] * (g == 0 || g == BML_MCMC__NODES - 1 ? 0.5 : 1);
    }
    return sum / (BML_MCMC__NODES - 1);
}

/* M_i: the base mass of parameters i.. inside their bounds, given theta[0..i-1]. */
static double bml_mcmc__joint_mass(const bml_mcmc_prior *prior, int i, double *theta) {
    double lo, hi, weight[BML_MCMC__NODES], mass = 1;
    for (; i < prior->n_dim; i++) { /* nothing depends on a parameter that is not joint: its mass is a factor */
        if (!bml_mcmc__limits(prior, i, theta, &lo, &hi)) return 0;
        mass *= bml_mcmc__base_mass(prior, i, lo, hi);
        if (prior->param[i].joint) return mass * bml_mcmc__joint_nodes(prior, i, lo, hi, theta, weight);
    }
    return mass;
}

/* The weights of joint parameter i, from the cache or anew. */
static void bml_mcmc__joint_weights(const bml_mcmc_prior *prior, int i, double lo, double hi, const double *theta, double *weight) {
    double scratch[BML_MCMC__MAX_PRIOR];
    if (i == prior->first_joint) {
        memcpy(weight, prior->first_weight, sizeof prior->first_weight);
        return;
    }
    memcpy(scratch, theta, sizeof(double) * (size_t)i);
    bml_mcmc__joint_nodes(prior, i, lo, hi, scratch, weight);
}

/* u -> v, where v has the piecewise linear density `weight` on [0,1] (inverse = 0), or back. Returns -1 without mass. */
static double bml_mcmc__reweight(const double *weight, double u, int inverse) {
    double node[BML_MCMC__NODES], cumulative[BML_MCMC__NODES], total;
    int g;
    node[0] = cumulative[0] = 0;
    for (g = 1; g < BML_MCMC__NODES; g++) {
        node[g] = (double)g / (BML_MCMC__NODES - 1);
        cumulative[g] = cumulative[g - 1] + 0.5 * (weight[g] + weight[g - 1]) * (node[g] - node[g - 1]);
    }
    total = cumulative[BML_MCMC__NODES - 1];
    if (!(total > 0)) return -1;
    if (inverse) {
        g = bml_mcmc__interval(node, BML_MCMC__NODES, u);
        u = (cumulative[g] + bml_mcmc__linear_part(node, weight, g, u)) / total;
        return u > 1 ? 1 : u;
    }
    g = bml_mcmc__interval(cumulative, BML_MCMC__NODES, u * total);
    return bml_mcmc__linear_solve(node, weight, g, u * total - cumulative[g]);
}

BML_MCMC_DEF double bml_mcmc_prior_log_density(const bml_mcmc_prior *prior, const double *theta) {
    double sum, lo, hi;
    int i;
    if (!prior || prior->refused || !theta) return BML_MCMC__NAN;
    sum = prior->first_joint < prior->n_dim ? -prior->log_z : 0;
    for (i = 0; i < prior->n_dim; i++) {
        if (!bml_mcmc__limits(prior, i, theta, &lo, &hi) || !(theta[i] >= lo && theta[i] <= hi)) return -BML_MCMC__INF;
        sum += bml_mcmc__base_log_density(prior, i, theta[i]);
        if (i < prior->first_joint && prior->param[i].bounds) sum -= log(bml_mcmc__base_mass(prior, i, lo, hi));
    }
    return sum;
}

BML_MCMC_DEF int bml_mcmc_prior_transform(const bml_mcmc_prior *prior, double *theta, const double *cube) {
    double lo, hi, weight[BML_MCMC__NODES];
    int i;
    if (!prior || !theta || !cube) return BML_MCMC_BAD_ARGUMENT;
    if (prior->refused) return prior->refused;
    for (i = 0; i < prior->n_dim; i++) {
        double u = cube[i];
        if (!(u >= 0 && u <= 1)) return BML_MCMC_BAD_ARGUMENT;
        if (!bml_mcmc__limits(prior, i, theta, &lo, &hi)) return BML_MCMC_EMPTY_BOUNDS;
        if (prior->param[i].joint) {
            bml_mcmc__joint_weights(prior, i, lo, hi, theta, weight);
            u = bml_mcmc__reweight(weight, u, 0);
            if (u < 0) return BML_MCMC_EMPTY_BOUNDS;
        }
        theta[i] = bml_mcmc__base_x(prior, i, lo, hi, u);
    }
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_prior_inverse(const bml_mcmc_prior *prior, double *cube, const double *theta) {
    double lo, hi, weight[BML_MCMC__NODES];
    int i;
    if (!prior || !theta || !cube) return BML_MCMC_BAD_ARGUMENT;
    if (prior->refused) return prior->refused;
    for (i = 0; i < prior->n_dim; i++) {
        if (!bml_mcmc__limits(prior, i, theta, &lo, &hi) || !(theta[i] >= lo && theta[i] <= hi)) return BML_MCMC_BAD_ARGUMENT;
        cube[i] = bml_mcmc__base_u(prior, i, lo, hi, theta[i]);
        if (!prior->param[i].joint) continue;
        bml_mcmc__joint_weights(prior, i, lo, hi, theta, weight);
        cube[i] = bml_mcmc__reweight(weight, cube[i], 1);
        if (cube[i] < 0) return BML_MCMC_BAD_ARGUMENT;
    }
    return BML_MCMC_OK;
}

/* Copies and normalises the table of parameter i, and takes its ends as limits unless narrower ones are given. */
static int bml_mcmc__prior_table(bml_mcmc_prior *prior, int i) {
    bml_mcmc_prior_param *p = &prior->param[i];
    double *x, *w, *c;
    int k, n = p->n;
    if (!p->x || !p->density || n < 2)
        return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT, "parameter %d: a table needs x, density and n >= 2", i);
    if (!(x = prior->table[i] = bml_mcmc__doubles((size_t)n, 3))) return bml_mcmc__fail(prior->message, BML_MCMC_NO_MEMORY, "table");
    w = x + n, c = w + n;
    for (k = 0; k < n; k++) {
        x[k] = p->x[k], w[k] = p->density[k];
        if (!(fabs(x[k]) <= DBL_MAX && w[k] >= 0 && w[k] <= DBL_MAX) || (k && !(x[k] > x[k - 1])))
            return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT,
                                  "parameter %d: row %d of its table: x must increase, density be finite and not negative", i, k);
        if (k) c[k] = c[k - 1] + 0.5 * (w[k] + w[k - 1]) * (x[k] - x[k - 1]);
    }
    p->x = x, p->density = w;
    if (p->lower == 0 && p->upper == 0) p->lower = x[0], p->upper = x[n - 1];
    if (!(p->lower >= x[0] && p->upper <= x[n - 1] && p->lower < p->upper))
        return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT, "parameter %d: limits outside its table", i);
    { /* normalised within the limits */
        double total = bml_mcmc__table_cdf(p, c, p->upper) - bml_mcmc__table_cdf(p, c, p->lower);
        if (!(total > 0 && total <= DBL_MAX))
            return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT, "parameter %d: its table holds no mass", i);
        for (k = 0; k < n; k++) w[k] /= total, c[k] /= total;
    }
    return BML_MCMC_OK;
}

static int bml_mcmc__prior_param_check(bml_mcmc_prior *prior, int i) {
    bml_mcmc_prior_param *p = &prior->param[i];
    const char *wrong = NULL;
    double a, b;
    if (p->kind < BML_MCMC_UNIFORM || p->kind > BML_MCMC_TABLE) wrong = "there is no such kind";
    else if (p->lower != p->lower || p->upper != p->upper) wrong = "a limit is NaN";
    else if (p->kind == BML_MCMC_TABLE) return bml_mcmc__prior_table(prior, i);
    else if (p->kind == BML_MCMC_NORMAL) {
        if (p->lower == 0 && p->upper == 0) p->lower = -BML_MCMC__INF, p->upper = BML_MCMC__INF;
        if (!(fabs(p->mean) <= DBL_MAX && p->sd > 0 && p->sd <= DBL_MAX)) wrong = "mean must be finite, sd positive";
        else {
            bml_mcmc__normal_interval(p, p->lower, p->upper, &a, &b);
            if (!(bml_mcmc__phi(b) - bml_mcmc__phi(a) > 1e-290)) wrong = "its limits leave no mass (lower < upper, within 36 sd)";
        }
    } else if (!(p->upper > p->lower && p->upper - p->lower <= DBL_MAX)) wrong = "lower < upper, both finite, are needed";
    else if (p->kind == BML_MCMC_LOG_UNIFORM && !(p->lower > 0)) wrong = "a log-uniform prior needs lower > 0";
    if (wrong) return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT, "parameter %d: %s", i, wrong);
    return BML_MCMC_OK;
}

/* Finds the joint parameters and the mass of their region. */
static int bml_mcmc__prior_joint(bml_mcmc_prior *prior) {
    int i, joint = 0, f;
    double scratch[BML_MCMC__MAX_PRIOR], lo, hi, mass;
    for (i = 0; i < prior->n_dim; i++) {
        if (prior->param[i].joint && !joint++) prior->first_joint = i;
    }
    f = prior->first_joint;
    if (!joint) return BML_MCMC_OK;
    if (joint > BML_MCMC__MAX_JOINT)
        return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT, "%d joint parameters, %d are possible", joint, BML_MCMC__MAX_JOINT);
    if (prior->param[f].bounds)
        return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT, "parameter %d: the first joint parameter cannot have a bounds callback", f);
    memset(scratch, 0, sizeof scratch);
    bml_mcmc__limits(prior, f, scratch, &lo, &hi);
    mass = bml_mcmc__joint_nodes(prior, f, lo, hi, scratch, prior->first_weight);
    if (!(mass > 0)) return bml_mcmc__fail(prior->message, BML_MCMC_EMPTY_BOUNDS, "the bounds leave no room anywhere");
    prior->log_z = log(mass);
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_prior_create(bml_mcmc_prior **prior, const bml_mcmc_prior_param *params, int n_dim) {
    bml_mcmc_prior *p;
    int i, status = BML_MCMC_OK;
    if (!prior) return BML_MCMC_BAD_ARGUMENT;
    *prior = p = (bml_mcmc_prior *)bml_mcmc__alloc(1, 1, sizeof *p);
    if (!p) return BML_MCMC_NO_MEMORY;
    if (!params || n_dim < 1 || n_dim > BML_MCMC__MAX_PRIOR)
        return p->refused = bml_mcmc__fail(p->message, BML_MCMC_BAD_ARGUMENT, "params is missing or n_dim (%d) not in 1..%d", n_dim,
                                           BML_MCMC__MAX_PRIOR);
    p->n_dim = p->first_joint = n_dim;
    p->param = (bml_mcmc_prior_param *)bml_mcmc__alloc((size_t)n_dim, 1, sizeof *p->param);
    p->table = (double **)bml_mcmc__alloc((size_t)n_dim, 1, sizeof *p->table);
    if (!p->param || !p->table) status = BML_MCMC_NO_MEMORY;
    if (!status) memcpy(p->param, params, sizeof *params * (size_t)n_dim);
    for (i = 0; i < n_dim && !status; i++) status = bml_mcmc__prior_param_check(p, i);
    if (!status) status = bml_mcmc__prior_joint(p);
    if (status == BML_MCMC_NO_MEMORY) {
        bml_mcmc_prior_free(p);
        *prior = NULL;
    } else p->refused = status;
    return status;
}

BML_MCMC_DEF void bml_mcmc_prior_free(bml_mcmc_prior *prior) {
    int i;
    if (!prior) return;
    for (i = 0; prior->table && i < prior->n_dim; i++) BML_MCMC_FREE(prior->table[i]);
    BML_MCMC_FREE(prior->table), BML_MCMC_FREE(prior->param), BML_MCMC_FREE(prior);
}

BML_MCMC_DEF const char *bml_mcmc_prior_message(const bml_mcmc_prior *prior) { return prior ? prior->message : ""; }
static int bml_mcmc__prior_dim(const bml_mcmc_prior *prior) { return prior->n_dim; }

#undef BML_MCMC_RESTRICT
#undef BML_MCMC_PRINTF
#undef BML_MCMC__NAN
#undef BML_MCMC__INF
#undef BML_MCMC__DEFENCE
#undef BML_MCMC__DOF
#endif /* BML_MCMC_IMPLEMENTATION */

/* CHANGES
   1.0  ensemble sampler, diagnostics, priors, calibration

   LICENCE
   Public domain (Unlicense) or MIT No Attribution, as you like: use, copy, change, sell it with or without this text.
   It comes as it is, without warranty of any kind. */
