/* bml_mcmc.h - posterior samplers and their diagnostics, in one file of C.

   An affine-invariant ensemble sampler, nested sampling for evidences and several modes, and NUTS where there are
   gradients; with priors, convergence diagnostics and calibration tests that all of them share.

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
           char why[BML_MCMC_MESSAGE];
           int status = bml_mcmc_ensemble_create(&e, &config, why);
           if (!status) status = bml_mcmc_start_ball(e, center, radius);
           if (!status) status = bml_mcmc_run(e, 2000);
           if (!status) status = bml_mcmc_ensemble_summary(e, s, 200);
           if (status) printf("%s: %s\n", bml_mcmc_strerror(status), e ? bml_mcmc_ensemble_message(e) : why);
           else printf("y = %.3f -%.3f +%.3f (tau %.1f)\n", s[1].median, s[1].minus, s[1].plus, s[1].tau);
           bml_mcmc_ensemble_free(e);
           return status != 0;
       }

   It refuses: fewer than 2 n_dim walkers or an odd number; starts that span less than the whole space; a NaN or
   +infinite log-probability (the message names the point); gradients that finite differences contradict; and to call
   converged a chain shorter than 50 autocorrelation times, one whose walkers disagree, or a nested run that was cut
   short (BML_MCMC_NOT_CONVERGED comes with the estimates).
   Link with -lm. No input or output, no globals, no threads of its own, no clock: the same seed is the same chain. */

/* SETUP, USE, SHUTDOWN

   1. Write the log-probability (log prior + log likelihood, any constant left out) for n points at once:
          void f(double *log_prob, const double *theta, int n, int n_dim, void *user);
      log_prob[n], theta[n][n_dim]. It may thread over the n points. -INFINITY is "impossible here" and a rejection.
   2. bml_mcmc_ensemble_create(&e, &config), zero members meaning the defaults written beside them. A refused
      configuration gives no object; its last argument, a buffer of BML_MCMC_MESSAGE bytes or NULL, says why.
   3. bml_mcmc_start_ball, bml_mcmc_start_prior or bml_mcmc_start_given.
   4. bml_mcmc_run(e, n_steps), as often as wanted: 100 steps and then 200 are the same chain as 300.
      One step proposes one move to every walker: n_walkers evaluations in two calls of f.
   5. bml_mcmc_ensemble_summary(e, out, burn) for median, errors, ESS, R-hat and tau of every parameter;
      bml_mcmc_ensemble_chain(e) for the numbers themselves. While it returns BML_MCMC_NOT_CONVERGED, go to 4.
   6. bml_mcmc_ensemble_save / _load around a stop; bml_mcmc_ensemble_free at the end.

   Nested sampling takes the log-likelihood, of the same form, and the prior apart: a bml_mcmc_prior or a transform of
   the unit cube. bml_mcmc_nested_create, _run, then _get_result (ln Z, its error, weights, verdicts), _summary, _draw,
   _free. NUTS takes log-probability and gradient: bml_mcmc_nuts_create, _start, _run, then bml_mcmc_summarize(out,
   bml_mcmc_nuts_chain(s)) and bml_mcmc_nuts_get_info(s).divergences, _free.
   Which one: several modes, an evidence, or no idea where to start: nested. Up to some 20 dimensions, one mode, no
   gradient: ensemble. Gradients, or more dimensions: NUTS.

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
   - walk     Y = X + scale sum_j n_j (c_j - mean)/sqrt(s-1) over s = count = 3 members of C, n_j normal; h = 0. (eq.
              11; the 1/sqrt(s-1) makes the step's covariance that of the s members)
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
   The first four are local and cost next to nothing (0.1-0.3 microseconds at 8 dimensions). KDE and mixture jump
   anywhere in one step and cost 1-20 microseconds: right when the log-probability costs more, dims are few (up to about
   ten) and walkers many (ten times the dimensions and more): tau falls as walkers are added, on the curved 8-D target
   of tests/bench_mcmc.c from 110 steps with 100 walkers to 30 with 400 (mixture alone; default moves: 290, 150). They
   are seldom accepted far from the bulk, so mix them with a share of local moves, such as { mixture 0.8, DE 0.2 }.
   When NOT to use an ensemble: beyond some 30 dimensions (Huijser et al. 2015, arXiv:1509.02230: it looks converged
   and is not); with well separated modes, whose weights it does not find unless the mixture or g = 1 bridges them;
   for evidences.

   Nested sampling (Skilling 2006, Bayesian Anal. 1, 833). Z = integral of L dX, X(l) the prior mass where L > l. Live
   points uniform in the prior shrink X by a factor t ~ Beta(n, 1), E ln t = -1/n, with each of n that dies, the worst
   first; in their place come points uniform above the threshold. Each round kills the worst `replace` of them at once.
   Volumes follow from the births alone: number i dies among the n_i points born below it (Higson et al. 2019, Stat.
   Comput. 29, 891). Plateaus die whole, one point after another (Fowlie, Handley & Su 2021, MNRAS 503, 1199). Dynamic
   passes add live points over the range that matters to the error asked for. The quoted error is the spread of ln Z
   over 200 draws of all t; about sqrt(H / live points). The trapezoid rule's own error is of order 1/live_points and
   left out.
   - region: uniform draws from balls around the known points (MLFriends, Buchner 2014, Stat. Comput. 26, 383) cut by
     ellipsoids around clusters. Both are 1.25 times what leaving out one point asks for. A missed share f of the best
     volume would cost f ln(1/f) nats in each nat of H, which is why the margin is ample.
   - slices: hit-and-run in such an ellipsoid (Neal 2003, Ann. Stat. 31, 705) from a known point, along differences of
     two others (ter Braak 2006, above): in a bent or branching region they lie along it more often than an ellipsoid's
     axes. Sweeps of n_dim slices, 3 + n_dim/12 of them and more when new points are found to remember their start.
   Whichever costs fewer likelihoods per point is used, as measured, the other is tried again now and then. A 6-D
   problem with two modes takes some 60,000 likelihoods with 400 live points, an 8-D one 100,000, a 32-D Gaussian 2 10^7.
   The insertion-rank test (Fowlie, Handley & Su 2020, MNRAS 497, 5256) asks whether new points fall evenly among the
   live ones. A plateau that holds every one of 16 live_points draws is taken for the top.
   When NOT to use it: with few live points for many modes (a mode without a live point is lost: some 30 for each);
   beyond some 40 dimensions; for ln Z to better than 0.02, whose cost grows as the inverse square.

   NUTS (Hoffman & Gelman 2014, JMLR 15, 1593; Betancourt 2017, arXiv:1701.02434): leapfrog trajectories that double
   until they turn back, and multinomial draws from them. Step size by dual averaging, mass matrix from windows of the
   warm-up. A parameter with limits is sampled in y: theta = lo + (hi - lo)/(1 + e^-y) with ln J = ln(hi - lo) - |y| - 2
   ln(1 + e^-|y|), or lo + e^y, hi - e^y with ln J = y; log_prob is that of theta, the Jacobian is added here. An energy
   error above 1000 is a divergence: the step does not resolve the target there, which the draws then miss; a smaller
   step (target_accept) or another parameter helps. Limits that depend on other parameters are no limits here: return
   -infinity beyond them, a rejection, counted in `walls`. When NOT to use it: several modes; kinks; gradients by
   differences (n_dim calls each).

   Integrated autocorrelation time (Sokal 1997, in Functional Integration, Plenum, section 3). rho(t) is the mean over
   walkers of each walker's normalised autocorrelation; tau(M) = 1 + 2 sum_{t=1}^{M} rho(t), with the smallest M >= 5
   tau(M). A walker that never moved counts as rho = 1. Relative error about sqrt(2 (2M+1)/(n_steps n_walkers)) at best.
   ESS = n_steps n_walkers / tau. Where tails mix far more slowly than the bulk (thin arms, funnels) the window closes
   before the slow part is summed, and tau of quantities that live in the tails is too small, by factors of two to four:
   then
   trust the scatter of independent runs with other seeds.
   Split R-hat (Gelman et al. 2013, BDA3, eq. 11.4): every walker's chain cut in two, between- against within-variance.
   Chains as long as 50 tau have R-hat of about sqrt(1 + 2/50) = 1.02; more than 1.1 is refused as well.

   Priors. Parameters stand in order; number i has a base density b_i and may have bounds [lo_i, hi_i] that depend on
   the parameters before it. Two meanings, and the difference matters:
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
#define BML_MCMC_STATUS_TABLE(X)                                                                                  \
    X(BML_MCMC_OK, 0, "no error")                                                                                 \
    X(BML_MCMC_BAD_ARGUMENT, -1, "an argument is missing, NaN, or out of range")                                  \
    X(BML_MCMC_NO_MEMORY, -2, "out of memory")                                                                    \
    X(BML_MCMC_TOO_LARGE, -3, "sizes whose product overflows")                                                    \
    X(BML_MCMC_BAD_START, -4, "the start positions are degenerate")                                               \
    X(BML_MCMC_NAN, -5, "the log-probability is NaN")                                                             \
    X(BML_MCMC_INFINITE, -6, "the log-probability is +infinite")                                                  \
    X(BML_MCMC_NOT_STARTED, -7, "the walkers have no positions yet")                                              \
    X(BML_MCMC_CANCELLED, -8, "cancelled by the progress callback")                                               \
    X(BML_MCMC_NOT_CONVERGED, -9, "the chain is too short for its autocorrelation time, or its walkers disagree") \
    X(BML_MCMC_BAD_STATE, -10, "the saved state is damaged or of another problem")                                \
    X(BML_MCMC_EMPTY_BOUNDS, -11, "the bounds of a prior leave no room")                                          \
    X(BML_MCMC_BAD_TRANSFORM, -12, "the prior transform failed or its result is not finite")                      \
    X(BML_MCMC_NO_SUPPORT, -13, "the log-likelihood is -infinite wherever it was tried")                          \
    X(BML_MCMC_BAD_GRADIENT, -14, "the gradient is not the derivative of the log-probability")
#define BML_MCMC__ENUM(name, value, text) name = value,
enum { BML_MCMC_STATUS_TABLE(BML_MCMC__ENUM) BML_MCMC__STATUS_END = 1 };
#undef BML_MCMC__ENUM

enum { BML_MCMC_MESSAGE = 512 }; /* bytes of a message buffer, NUL included */

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
    double lower, upper;   /* limits, in the parameter's unit */
    double mean, sd;       /* BML_MCMC_NORMAL only */
    const double *x;       /* [n] increasing; BML_MCMC_TABLE only; copied */
    const double *density; /* [n] not negative; copied */
    int n;
    bml_mcmc_bounds bounds; /* NULL: none beyond lower and upper */
    void *user;             /* handed to bounds */
    int joint;              /* 1: later bounds depend on this parameter and the joint density is the product of the base
                               densities over the region (see Priors above). At most 4 parameters; the first of them has
                               no bounds callback, and the callbacks read joint parameters only. */
} bml_mcmc_prior_param;
typedef struct bml_mcmc_prior bml_mcmc_prior;

/* Makes a prior of params[n_dim] (1 <= n_dim <= 1024). On failure *prior is NULL, there is nothing to free, and why
   [BML_MCMC_MESSAGE], unless NULL, holds the reason. BAD_ARGUMENT, EMPTY_BOUNDS, NO_MEMORY. */
BML_MCMC_DEF int bml_mcmc_prior_create(bml_mcmc_prior **prior, const bml_mcmc_prior_param *params, int n_dim,
                                       char *why);
BML_MCMC_DEF void bml_mcmc_prior_free(bml_mcmc_prior *prior);
/* Normalised log density at theta[n_dim]; -infinity outside. The
   three calls below are thread safe if the bounds callbacks are. */
BML_MCMC_DEF double bml_mcmc_prior_log_density(const bml_mcmc_prior *prior, const double *theta);
/* theta[n_dim] from cube[n_dim], each in [0,1]. BAD_ARGUMENT outside the cube, EMPTY_BOUNDS. */
BML_MCMC_DEF int bml_mcmc_prior_transform(const bml_mcmc_prior *prior, double *theta, const double *cube);
/* cube[n_dim] from theta[n_dim], the inverse of the above. BAD_ARGUMENT where the density is zero. */
BML_MCMC_DEF int bml_mcmc_prior_inverse(const bml_mcmc_prior *prior, double *cube, const double *theta);

/* ---- the ensemble sampler ---- */
/* log_prob[n] of theta[n][n_dim]. */
typedef void (*bml_mcmc_log_prob)(double *log_prob, const double *theta, int n, int n_dim, void *user);

enum {
    BML_MCMC_STRETCH = 0,
    BML_MCMC_WALK,
    BML_MCMC_DE,
    BML_MCMC_SNOOKER,
    BML_MCMC_KDE,
    BML_MCMC_MIXTURE,
    BML_MCMC_SURROGATE,
    BML_MCMC_N_MOVES
};
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
    int n_dim;                   /* required, 1 to 10000 */
    int n_walkers;               /* even, at least 2 n_dim; 0 = 6 n_dim, at least 32 */
    uint64_t seed;               /* any, 0 too */
    bml_mcmc_log_prob log_prob;  /* required */
    void *user;                  /* handed to log_prob, and to surrogate */
    bml_mcmc_log_prob surrogate; /* a cheap approximation of log_prob, for BML_MCMC_SURROGATE moves; else NULL. Its
                                      calls are not counted; a saved state does not hold it: resume with the same one */
    const double *reference;     /* [n_reference][n_dim] points spread like p, of an earlier or cheaper run; used by
                                      create alone. The mixture is then fitted to them, once, and surrogate moves take
                                      it in. NULL = none */
    int n_reference;             /* at least 50 n_dim */
    const bml_mcmc_move *moves;  /* [n_moves], copied; one is drawn for each half-step. NULL = 1/4 stretch, 3/4 DE */
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
    const double *theta;            /* [n_walkers][n_dim] present positions */
    const double *log_prob;         /* [n_walkers] */
    const uint64_t *accepted;       /* [n_walkers] of `steps_counted` proposals each */
    uint64_t steps_counted;         /* steps since the start or the last clear */
    const bml_mcmc_move *moves;     /* [n_moves] with the defaults filled in */
    const uint64_t *moves_proposed; /* [n_moves] */
    const uint64_t *moves_accepted; /* [n_moves] */
} bml_mcmc_ensemble_info;

typedef struct bml_mcmc_ensemble bml_mcmc_ensemble;

/* Makes a sampler. On failure *e is NULL, there is nothing to free, and why [BML_MCMC_MESSAGE], unless NULL, holds the
   reason. BAD_ARGUMENT, TOO_LARGE, NO_MEMORY. */
BML_MCMC_DEF int bml_mcmc_ensemble_create(bml_mcmc_ensemble **e, const bml_mcmc_config *config, char *why);
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
   size is smaller); _load takes them into a sampler created with the same n_dim, n_walkers, seed, thin and moves, and
   asks log_prob for the saved positions: if they differ, by damage or because log_prob is another one (1e-6 of it),
   BAD_STATE and the sampler is as before. The bytes are in this machine's order. */
BML_MCMC_DEF size_t bml_mcmc_ensemble_save_size(const bml_mcmc_ensemble *e);
BML_MCMC_DEF int bml_mcmc_ensemble_save(bml_mcmc_ensemble *e, void *buffer, size_t size);
BML_MCMC_DEF int bml_mcmc_ensemble_load(bml_mcmc_ensemble *e, const void *buffer, size_t size);

/* ---- diagnostics, of any chain ---- */
typedef struct bml_mcmc_summary {
    double median, minus, plus; /* 15.87 % quantile = median - minus, 84.13 % quantile = median + plus */
    double mean, sd;
    double ess;  /* effective samples, n_steps n_walkers / tau */
    double rhat; /* split R-hat over walkers */
    double tau;  /* integrated autocorrelation time, in steps of the chain */
} bml_mcmc_summary;

/* The same chain without its first `burn` stored steps (without any if there are no more). */
BML_MCMC_DEF bml_mcmc_chain bml_mcmc_chain_drop(bml_mcmc_chain chain, size_t burn);
/* tau[n_dim] alone. NOT_CONVERGED with the estimates when the chain is shorter than 50 tau. BAD_ARGUMENT for fewer than
   8 steps or values that are not finite, NO_MEMORY. */
BML_MCMC_DEF int bml_mcmc_autocorrelation(double *tau, bml_mcmc_chain chain);
/* out[n_dim]. NOT_CONVERGED with the estimates when the chain is
   shorter than 50 tau or R-hat > 1.1. Others as above. */
BML_MCMC_DEF int bml_mcmc_summarize(bml_mcmc_summary *out, bml_mcmc_chain chain);
/* The same of a sampler's chain after `burn` steps of the sampler,
   with tau in steps of the sampler (thinning counted). */
BML_MCMC_DEF int bml_mcmc_ensemble_summary(bml_mcmc_ensemble *e, bml_mcmc_summary *out, size_t burn);
/* The quantile q in [0,1] of values[n], linear between order statistics. Reorders values. NaN if n = 0. */
BML_MCMC_DEF double bml_mcmc_quantile(double *values, size_t n, double q);

/* ---- nested sampling ---- */
/* theta[n][n_dim] from cube[n][n_dim], every coordinate of the cube within [0,1]. Non-zero: it failed. */
typedef int (*bml_mcmc_transform)(double *theta, const double *cube, int n, int n_dim, void *user);

enum { BML_MCMC_NESTED_AUTO = 0, BML_MCMC_NESTED_REGION, BML_MCMC_NESTED_SLICE };

typedef struct bml_mcmc_nested_progress {
    double log_z, log_z_error; /* so far, live points included; the error is sqrt(H / live points) */
    double remaining;          /* share of the evidence that the live points could still hold */
    double efficiency;         /* points kept per evaluation in the last round */
    double log_volume;         /* ln X: share of the prior that is left */
    uint64_t evaluations;
    size_t n_points;
    int pass;               /* 0: the first run from the prior; 1...: dynamic passes */
    int method, n_clusters; /* of the last round: BML_MCMC_NESTED_REGION or _SLICE */
} bml_mcmc_nested_progress;
typedef int (*bml_mcmc_nested_progress_fn)(const bml_mcmc_nested_progress *progress, void *user); /* non-zero cancels */

typedef struct bml_mcmc_nested_config {
    int n_dim;                        /* required, 1 to 1000 */
    int live_points;                  /* at least n_dim + 1; 0 = 400, or 10 n_dim if that is more */
    uint64_t seed;                    /* any, 0 too */
    bml_mcmc_log_prob log_likelihood; /* required; of theta, n points at once. -INFINITY is "impossible here" */
    const bml_mcmc_prior *prior;      /* the prior: this (kept by the caller, who frees it last), or */
    bml_mcmc_transform transform;     /* this, from the unit cube */
    void *user;                       /* handed to log_likelihood and transform */
    const unsigned char *wrapped;     /* [n_dim] 1: the parameter is
                                      periodic, cube 0 and 1 are one point; copied. NULL = none */
    int method;                       /* BML_MCMC_NESTED_AUTO: the cheaper one per new point, as measured */
    int sweeps;       /* slices per new point / n_dim; 0 = 3 + n_dim/12, and more while new points remember
                                      their start */
    int replace;      /* points replaced together, 1 to live_points/2; 0 = live_points/5 */
    double remaining; /* ends a pass when the live points hold less than this share; 0 = 0.01 */
    double error;     /* of ln Z, to be reached by dynamic passes; 0 = no matter: one static run */
    double min_ess;   /* effective posterior samples, likewise; 0 = no matter */
    bml_mcmc_nested_progress_fn progress; /* called before a round and after every batch of likelihoods, NULL = none */
    void *progress_user;
} bml_mcmc_nested_config;

typedef struct bml_mcmc_nested_result {
    double log_z, log_z_error;               /* ln of the evidence; sd over simulated shrinkages */
    double information;                      /* H, nats: posterior against prior */
    double ess;                              /* effective posterior samples, 1/sum w^2 */
    double remaining;                        /* share of the evidence in the points that were live at the end */
    double rank_p;                           /* insertion-rank test: p-value that new points fell where they should */
    int rank_ok;                             /* the verdict: rank_p >= 0.001. If 0, do not trust log_z */
    int converged;                           /* remaining, error and min_ess have all been reached */
    uint64_t evaluations, slice_evaluations; /* of the likelihood; those of them by slices */
    int passes;                              /* dynamic passes made, beyond the static run */
    int sweeps;                              /* last used, 0 if no slices were needed */
    double sweep_correlation;                /* of new points with their start, last measured; 0.1 is allowed */
    size_t n_points;              /* all points, in the order of their likelihood; those below have this length and
                                      live until the next run, load or free */
    const double *theta;          /* [n_points][n_dim] */
    const double *log_likelihood; /* [n_points] */
    const double *weight;         /* [n_points] posterior weights, sum 1 */
} bml_mcmc_nested_result;

typedef struct bml_mcmc_nested bml_mcmc_nested;

/* As of the ensemble: on failure *s is NULL and why holds the reason. BAD_ARGUMENT, NO_MEMORY. */
BML_MCMC_DEF int bml_mcmc_nested_create(bml_mcmc_nested **s, const bml_mcmc_nested_config *config, char *why);
BML_MCMC_DEF void bml_mcmc_nested_free(bml_mcmc_nested *s);
/* What the last failing call has to add to its status. "" if nothing. */
BML_MCMC_DEF const char *bml_mcmc_nested_message(const bml_mcmc_nested *s);
/* Runs until done (OK) or until `evaluations` more likelihoods have been asked for (0: no limit; checked after each
   round): NOT_CONVERGED, with all results as they are; call again to go on. One run and many short ones give the same
   numbers. CANCELLED, NAN, INFINITE, BAD_TRANSFORM (the message names the point): the sampler stands at the end of the
   last whole round. NO_SUPPORT: the likelihood was -infinite at 256 live_points points of the prior. NO_MEMORY. */
BML_MCMC_DEF int bml_mcmc_nested_run(bml_mcmc_nested *s, uint64_t evaluations);
/* Evidence, weights and verdicts, at any time after the first round. NOT_STARTED, NO_MEMORY. */
BML_MCMC_DEF int bml_mcmc_nested_get_result(bml_mcmc_nested *s, bml_mcmc_nested_result *result);
/* The same points under another likelihood, log_likelihood[n_points] in the result's order, copied: a run with a cheap
   likelihood becomes the posterior and the evidence of a dear one, asked once at each point (importance sampling with
   the run's own volumes). result, unless NULL, and all later results, draws and summaries are of the new one, until the
   next run or load; log_z_error has the scatter of the new weights in it. When NOT to trust it: an ess far below the
   run's own; then the new posterior lies where the run has few points, and only a run of its own finds it. rank_p and
   remaining stay those of the run. BAD_ARGUMENT, NAN, INFINITE; NO_SUPPORT: -infinity at all points; as above. */
BML_MCMC_DEF int bml_mcmc_nested_reweigh(bml_mcmc_nested *s, bml_mcmc_nested_result *result,
                                         const double *log_likelihood);
/* theta[n][n_dim] and, unless NULL, log_likelihood[n] of n equally weighted posterior draws in random order (systematic
   resampling, Kitagawa 1996). More than the ESS repeats points. As a chain: { theta, NULL, n, 1, n_dim }. As above. */
BML_MCMC_DEF int bml_mcmc_nested_draw(bml_mcmc_nested *s, double *theta, double *log_likelihood, size_t n,
                                      uint64_t seed);
/* out[n_dim] from the weighted points; tau and rhat do not apply and are NaN. As above. */
BML_MCMC_DEF int bml_mcmc_nested_summary(bml_mcmc_nested *s, bml_mcmc_summary *out);
/* Save and resume to the bit, as of the ensemble above; n_dim, live_points, seed, method, sweeps and replace must
   agree, and the likelihood of the saved points. remaining, error
   and min_ess may differ: to go on to a smaller error. */
BML_MCMC_DEF size_t bml_mcmc_nested_save_size(const bml_mcmc_nested *s);
BML_MCMC_DEF int bml_mcmc_nested_save(bml_mcmc_nested *s, void *buffer, size_t size);
BML_MCMC_DEF int bml_mcmc_nested_load(bml_mcmc_nested *s, const void *buffer, size_t size);

/* ---- gradient sampling: NUTS ---- */
/* log_prob[n] and gradient[n][n_dim] = d log_prob/d theta at theta[n][n_dim]. */
typedef void (*bml_mcmc_gradient)(double *log_prob, double *gradient, const double *theta, int n, int n_dim,
                                  void *user);

enum { BML_MCMC_DIAGONAL = 0, BML_MCMC_DENSE = 1 };

typedef struct bml_mcmc_nuts_progress {
    uint64_t draws, last; /* draws made by all chains together, warm-up included, and when this run ends */
    uint64_t gradients;   /* evaluations so far */
    uint64_t divergences; /* after the warm-up, all chains */
} bml_mcmc_nuts_progress;
typedef int (*bml_mcmc_nuts_progress_fn)(const bml_mcmc_nuts_progress *progress, void *user); /* non-zero cancels */

typedef struct bml_mcmc_nuts_config {
    int n_dim;    /* required, 1 to 10000 (dense: 1000) */
    int n_chains; /* 0 = 4 */
    uint64_t seed;
    bml_mcmc_gradient log_prob; /* required; log density of theta itself, without any Jacobian */
    void *user;
    const double *lower, *upper; /* [n_dim] limits, copied; infinite: none on that side. NULL = none at all */
    int metric;                  /* mass matrix: BML_MCMC_DIAGONAL, BML_MCMC_DENSE */
    int warmup;                  /* draws of each chain that adapt
                                      step and mass and are not kept; 0 = 1000, at least 20 */
    double target_accept;        /* in (0,1); 0 = 0.8. Nearer to 1: smaller steps, for funnels */
    double gradient_tolerance;   /* of the check at the start, see bml_mcmc_check_gradient; 0 = 1e-3. A network in
                                      float, whose rounding finite differences see, may need 1e-2 */
    int max_depth;               /* of a tree: 2^depth - 1 steps at most; 0 = 10, at most 16 */
    bml_mcmc_nuts_progress_fn progress; /* called each time that n_chains more draws are made, NULL = none */
    void *progress_user;
} bml_mcmc_nuts_config;

typedef struct bml_mcmc_nuts_info {
    int n_dim, n_chains;
    uint64_t gradients;      /* evaluations, warm-up and start included */
    uint64_t draws;          /* kept, of each chain */
    uint64_t divergences;    /* among them, all chains: above
                                      none, the posterior has parts that were not reached */
    uint64_t walls;          /* trajectories that ended at a
                                      log-probability of -infinity: rejections, not counted above */
    uint64_t max_depth_hits; /* trees cut short by max_depth: slow, not wrong */
    double mean_accept;      /* of all chains */
    double mean_tree;        /* gradients per kept draw */
    const double *step_size; /* [n_chains] */
} bml_mcmc_nuts_info;

typedef struct bml_mcmc_nuts bml_mcmc_nuts;

/* As of the ensemble: on failure *s is NULL and why holds the reason. BAD_ARGUMENT, NO_MEMORY. */
BML_MCMC_DEF int bml_mcmc_nuts_create(bml_mcmc_nuts **s, const bml_mcmc_nuts_config *config, char *why);
BML_MCMC_DEF void bml_mcmc_nuts_free(bml_mcmc_nuts *s);
BML_MCMC_DEF const char *bml_mcmc_nuts_message(const bml_mcmc_nuts *s);
/* theta[n_chains][n_dim], inside the limits, apart from each other. Checks the gradient at the first by finite
   differences. BAD_START, BAD_GRADIENT, NAN, INFINITE. */
BML_MCMC_DEF int bml_mcmc_nuts_start(bml_mcmc_nuts *s, const double *theta);
/* The rest of the warm-up, if any, then n_draws more draws of every chain. After CANCELLED, NAN and INFINITE it may go
   on: each chain loses at most the draw under way. NOT_STARTED, NO_MEMORY, TOO_LARGE. */
BML_MCMC_DEF int bml_mcmc_nuts_run(bml_mcmc_nuts *s, size_t n_draws);
/* theta[n_draws][n_chains][n_dim], for bml_mcmc_summarize; lives until the next run, start, load or free. */
BML_MCMC_DEF bml_mcmc_chain bml_mcmc_nuts_chain(const bml_mcmc_nuts *s);
BML_MCMC_DEF bml_mcmc_nuts_info bml_mcmc_nuts_get_info(const bml_mcmc_nuts *s);
/* Save and resume to the bit, between runs. */
BML_MCMC_DEF size_t bml_mcmc_nuts_save_size(const bml_mcmc_nuts *s);
BML_MCMC_DEF int bml_mcmc_nuts_save(bml_mcmc_nuts *s, void *buffer, size_t size);
BML_MCMC_DEF int bml_mcmc_nuts_load(bml_mcmc_nuts *s, const void *buffer, size_t size);
/* *worst = the largest |g - d|/(|g| + |d| + norm) over parameters, g the callback's gradient at theta[n_dim], d the
   central difference that agrees best among steps of scale[i] (NULL: |theta| + 1) times 1e-1 ... 1e-7, norm 1e-3 of the
   largest |g| scale, plus rounding. BAD_GRADIENT when it exceeds
   1e-3 (the callback is wrong, or theta lies on a kink); NAN. */
BML_MCMC_DEF int bml_mcmc_check_gradient(double *worst, bml_mcmc_gradient f, const double *theta, const double *scale,
                                         int n_dim, void *user);
/* lower[n_dim] and upper[n_dim] of a prior: its fixed limits, not those of a bounds callback. */
BML_MCMC_DEF void bml_mcmc_prior_limits(double *lower, double *upper, const bml_mcmc_prior *prior);

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

#if defined(BML_MCMC_IMPLEMENTATION) && !defined(BML_MCMC_IMPLEMENTED)
#define BML_MCMC_IMPLEMENTED
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h> /* vsnprintf into message buffers; nothing is printed */
#include <string.h>
#include <stdlib.h>
#ifndef BML_MCMC_MALLOC
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
#define BML_MCMC__CASE(name, value, text) \
    if (status == value) return text;
    BML_MCMC_STATUS_TABLE(BML_MCMC__CASE)
#undef BML_MCMC__CASE
    return "unknown status";
}

enum { BML_MCMC__MAX_PRIOR = 1024 };

/* Writes the message and hands the status through: return bml_mcmc__fail(...). */
BML_MCMC_PRINTF static int bml_mcmc__fail(char *message, int status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(message, BML_MCMC_MESSAGE, format, args);
    va_end(args);
    return status;
}

/* What a create that fails leaves in `why`. */
static int bml_mcmc__refuse(char *why, int status, const char *message) {
    if (status == BML_MCMC_NO_MEMORY) message = "out of memory";
    if (why) bml_mcmc__fail(why, status, "%s", message);
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
    if (!bml_mcmc__mul(&bytes, a, b, c)) return NULL;
    void *p = BML_MCMC_MALLOC(bytes ? bytes : 1);
    if (p) memset(p, 0, bytes);
    return p;
}

static double *bml_mcmc__doubles(size_t a, size_t b) {
    return (double *)bml_mcmc__alloc(a, b, sizeof(double));
}

/* >> random numbers */

BML_MCMC_DEF void bml_mcmc_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key) {
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
    uint64_t high = bml_mcmc_rng_u32(rng);
    uint64_t low = bml_mcmc_rng_u32(rng);
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
    for (int i = 0; i < d; i++) {
        double diagonal = a[i * d + i];
        for (int j = 0; j <= i; j++) {
            double s = a[i * d + j];
            for (int k = 0; k < j; k++)
                s -= a[i * d + k] * a[j * d + k];
            if (j < i)
                a[i * d + j] = s / a[j * d + j];
            else if (s > tolerance * diagonal && s < DBL_MAX)
                a[i * d + i] = sqrt(s);
            else
                return 0;
        }
        for (int j = i + 1; j < d; j++)
            a[i * d + j] = 0;
    }
    return 1;
}

/* inverse[d][d] of the lower triangular L; returns log det L. */
static double bml_mcmc__invert_lower(double *inverse, const double *L, int d) {
    double log_det = 0;
    for (int i = 0; i < d; i++) {
        double r = 1 / L[i * d + i];
        log_det -= log(r);
        for (int j = 0; j < d; j++)
            inverse[i * d + j] = 0;
        for (int j = 0; j < i; j++) {
            double s = 0;
            for (int k = j; k < i; k++)
                s += L[i * d + k] * inverse[k * d + j];
            inverse[i * d + j] = -s * r;
        }
        inverse[i * d + i] = r;
    }
    return log_det;
}

/* y = L x, L lower triangular. y and x are different arrays. */
static void bml_mcmc__lower_times(double *BML_MCMC_RESTRICT y, const double *BML_MCMC_RESTRICT L,
                                  const double *BML_MCMC_RESTRICT x, int d) {
    for (int i = 0; i < d; i++) {
        double s = 0;
        for (int j = 0; j <= i; j++)
            s += L[i * d + j] * x[j];
        y[i] = s;
    }
}

/* mean[d] and lower half of covariance[d][d] of x[n][d]; covariance zeroed above the diagonal. */
static void bml_mcmc__moments(double *mean, double *covariance, const double *x, int n, int d) {
    for (int i = 0; i < d; i++)
        mean[i] = 0;
    for (int i = 0; i < d * d; i++)
        covariance[i] = 0;
    for (int s = 0; s < n; s++)
        for (int i = 0; i < d; i++)
            mean[i] += x[s * d + i] / n;
    for (int s = 0; s < n; s++)
        for (int i = 0; i < d; i++) {
            double xi = (x[s * d + i] - mean[i]) / (n - 1);
            for (int j = 0; j <= i; j++)
                covariance[i * d + j] += xi * (x[s * d + j] - mean[j]);
        }
}

/* >> moves
   A move is a row of bml_mcmc__moves. `fit`, if there is one, runs once per half-step and sees the complementary half
   alone; `propose` draws y from x and the complementary half, and returns h, the log of the Hastings factor. */

enum { BML_MCMC__MAX_COMPONENTS = BML_MCMC_MAX_COUNT + 1 };

typedef struct bml_mcmc__half {
    const double *other; /* [n][d] the complementary half */
    int n, d;
    bml_mcmc_move move; /* with its defaults resolved */
    /* What fit leaves for propose: z = A (theta - mean), theta = mean + L z, in which the half has unit covariance. */
    double *mean, *L, *A; /* [d], [d][d], [d][d] */
    double *z;            /* [n][d] the complementary half */
    int n_components, em_steps;
    double *weight, *log_norm; /* [n_components], and log(weight/det L) */
    double *mu, *CL, *CA;      /* [n_components][d], [..][d][d] Cholesky factor of a component, its inverse */
    double *responsibility;    /* [n][n_components] */
    double *scratch;           /* [3][d] */
} bml_mcmc__half;

static double bml_mcmc__stretch(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    int d = half->d;
    const double *c = half->other + bml_mcmc__below(rng, half->n) * d;
    double a = half->move.scale;
    double r = 1 + (a - 1) * bml_mcmc_rng_uniform(rng);
    double z = r * r / a;
    for (int i = 0; i < d; i++)
        y[i] = c[i] + z * (x[i] - c[i]);
    return (d - 1) * log(z);
}

/* k different members of 0..n-1; k is small, or all of n. */
static void bml_mcmc__choose(int *index, int k, int n, bml_mcmc_rng *rng) {
    int j;
    for (int i = 0; i < k; i++) {
        do {
            index[i] = bml_mcmc__below(rng, n);
            for (j = 0; j < i && index[j] != index[i]; j++) {}
        } while (j < i);
    }
}

static double bml_mcmc__walk(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    int index[BML_MCMC_MAX_COUNT];
    int s = half->move.count;
    int d = half->d;
    double normal[BML_MCMC_MAX_COUNT];
    double mean = 0;
    double norm = half->move.scale / sqrt(s - 1.0);
    bml_mcmc__choose(index, s, half->n, rng);
    for (int j = 0; j < s; j++)
        mean += (normal[j] = bml_mcmc_rng_normal(rng)) / s;
    /* sum n_j (c_j - mean c) = sum (n_j - mean n) c_j */
    for (int i = 0; i < d; i++) {
        double step = 0;
        for (int j = 0; j < s; j++)
            step += (normal[j] - mean) * half->other[index[j] * d + i];
        y[i] = x[i] + norm * step;
    }
    return 0;
}

static double bml_mcmc__de(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    int d = half->d;
    int first = bml_mcmc__below(rng, half->n);
    int second = bml_mcmc__below(rng, half->n - 1);
    const double *c1 = half->other + first * d;
    const double *c2 = half->other + (second + (second >= first)) * d;
    double u = bml_mcmc_rng_uniform(rng); /* its first tenth says jump, the rest spreads g */
    double g = u < 0.1 ? 1 : half->move.scale * (0.9 + 0.2 * (u - 0.1) / 0.9);
    for (int i = 0; i < d; i++)
        y[i] = x[i] + g * (c1[i] - c2[i]);
    return 0;
}

static double bml_mcmc__snooker(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    int index[3];
    int d = half->d;
    double x2 = 0;
    double y2 = 0;
    double along = 0;
    bml_mcmc__choose(index, 3, half->n, rng);
    const double *c = half->other + index[0] * d;
    const double *c1 = half->other + index[1] * d;
    const double *c2 = half->other + index[2] * d;
    for (int i = 0; i < d; i++) {
        x2 += (x[i] - c[i]) * (x[i] - c[i]);
        along += (x[i] - c[i]) * (c1[i] - c2[i]);
    }
    double g = half->move.scale * along / x2; /* e (e . v) = (x - c) ((x - c) . v)/|x - c|^2: e has length one */
    for (int i = 0; i < d; i++) {
        y[i] = x[i] + g * (x[i] - c[i]);
        y2 += (y[i] - c[i]) * (y[i] - c[i]);
    }
    return 0.5 * (d - 1) * log(y2 / x2);
}

/* >> moves from the ensemble's density
   Both work in coordinates z in which the complementary half has zero mean and unit covariance, so that parameters of
   any units and correlation are alike; the Jacobian cancels in q(X)/q(Y). When that covariance cannot be had (walkers
   on a line), fit returns 0 and this half-step makes stretch moves:
   a decision that the complementary half alone takes. */

static int bml_mcmc__whiten(bml_mcmc__half *half) {
    int d = half->d;
    bml_mcmc__moments(half->mean, half->L, half->other, half->n, d);
    if (!bml_mcmc__cholesky(half->L, d, 1e-12)) return 0;
    bml_mcmc__invert_lower(half->A, half->L, d);
    for (int s = 0; s < half->n; s++) {
        for (int i = 0; i < d; i++)
            half->scratch[i] = half->other[s * d + i] - half->mean[i];
        bml_mcmc__lower_times(half->z + s * d, half->A, half->scratch, d);
    }
    return 1;
}

/* z[d] of the point x[d]. Uses scratch row 0. */
static void bml_mcmc__to_z(double *z, const double *x, const bml_mcmc__half *half) {
    for (int i = 0; i < half->d; i++)
        half->scratch[i] = x[i] - half->mean[i];
    bml_mcmc__lower_times(z, half->A, half->scratch, half->d);
}

static void bml_mcmc__from_z(double *x, const double *z, const bml_mcmc__half *half) {
    bml_mcmc__lower_times(x, half->L, z, half->d);
    for (int i = 0; i < half->d; i++)
        x[i] += half->mean[i];
}

/* log of sum_j exp(-|z - z_j|^2 / 2 b^2), up to a constant; sums relative to the nearest member. */
static double bml_mcmc__kde_log_q(const double *z, const bml_mcmc__half *half, double inv_b2) {
    double nearest = DBL_MAX;
    double sum = 0;
    double *r2 = half->responsibility;
    for (int s = 0; s < half->n; s++) {
        const double *c = half->z + s * half->d;
        double t = 0;
        for (int i = 0; i < half->d; i++)
            t += (z[i] - c[i]) * (z[i] - c[i]);
        r2[s] = t;
        if (t < nearest) nearest = t;
    }
    for (int s = 0; s < half->n; s++) {
        double t = 0.5 * inv_b2 * (r2[s] - nearest);
        if (t < 40) sum += exp(-t);
    }
    return log(sum) - 0.5 * inv_b2 * nearest;
}

static double bml_mcmc__kde(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    int d = half->d;
    double b = half->move.scale * pow(half->n, -1.0 / (d + 4)); /* Scott 1992, eq. 6.44 */
    double *zx = half->scratch + d;
    double *zy = half->scratch + 2 * d;
    const double *c = half->z + bml_mcmc__below(rng, half->n) * d;
    for (int i = 0; i < d; i++)
        zy[i] = c[i] + b * bml_mcmc_rng_normal(rng);
    bml_mcmc__to_z(zx, x, half);
    bml_mcmc__from_z(y, zy, half);
    return bml_mcmc__kde_log_q(zx, half, 1 / (b * b)) - bml_mcmc__kde_log_q(zy, half, 1 / (b * b));
}

/* Mixture. K components start at members of the half chosen far apart (k-means++ seeding, Arthur & Vassilvitskii 2007)
   and go through a fixed number of EM steps. Covariances are regularised as by an inverse-Wishart prior (Fraley &
   Raftery 2007, J. Classif. 24, 155): (sum r (z-mu)(z-mu)^T + kappa I/K^(2/d)) / (sum r + kappa), with kappa = d/2
   pseudo-points. One more component, the half's own mean and covariance, keeps weight BML_MCMC__DEFENCE, so that q is
   nowhere too thin. Proposals and densities use t distributions of BML_MCMC__DOF degrees of freedom with the fitted
   centres and scatter matrices. */
#define BML_MCMC__DEFENCE 0.1
#define BML_MCMC__DOF 10
enum { BML_MCMC__EM_STEPS = 8, BML_MCMC__EM_STEPS_REFERENCE = 30 }; /* anew in each half-step; once */

/* |CA_k (z - mu_k)|^2 */
static double bml_mcmc__distance2(const double *z, const bml_mcmc__half *half, int k) {
    int d = half->d;
    const double *mu = half->mu + k * d;
    const double *A = half->CA + k * d * d;
    double *v = half->scratch;
    double r2 = 0;
    for (int i = 0; i < d; i++)
        v[i] = z[i] - mu[i];
    for (int i = 0; i < d; i++) {
        double s = 0;
        for (int j = 0; j <= i; j++)
            s += A[i * d + j] * v[j];
        r2 += s * s;
    }
    return r2;
}

/* exp(a[k] - max)/sum in place; returns log sum exp a. */
static double bml_mcmc__softmax(double *a, int n) {
    double top = a[0];
    double sum = 0;
    for (int k = 1; k < n; k++)
        top = a[k] > top ? a[k] : top;
    for (int k = 0; k < n; k++)
        sum += (a[k] = a[k] - top < -40 ? 0 : exp(a[k] - top));
    for (int k = 0; k < n; k++)
        a[k] /= sum;
    return top + log(sum);
}

/* Component k becomes a ball, its centre set by the caller. */
static void bml_mcmc__unit_component(bml_mcmc__half *half, int k, double weight, double variance) {
    int d = half->d;
    memset(half->CL + k * d * d, 0, sizeof(double) * (size_t)(d * d));
    memset(half->CA + k * d * d, 0, sizeof(double) * (size_t)(d * d));
    for (int i = 0; i < d; i++) {
        half->CL[(k * d + i) * d + i] = sqrt(variance);
        half->CA[(k * d + i) * d + i] = 1 / sqrt(variance);
    }
    half->weight[k] = weight;
    half->log_norm[k] = log(weight) - 0.5 * d * log(variance);
}

/* Centres far apart: each next one with probability as its squared distance to the nearest so far. */
static void bml_mcmc__seed_components(bml_mcmc__half *half, int K, bml_mcmc_rng *rng) {
    int n = half->n;
    int d = half->d;
    int pick = bml_mcmc__below(rng, n);
    double *nearest = half->responsibility; /* [n], free until the first E step */
    for (int s = 0; s < n; s++)
        nearest[s] = DBL_MAX;
    for (int k = 0; k < K; k++) {
        double *mu = half->mu + k * d;
        double total = 0;
        for (int i = 0; i < d; i++)
            mu[i] = half->z[pick * d + i];
        bml_mcmc__unit_component(half, k, 1.0 / K, pow(K, -2.0 / d));
        for (int s = 0; s < n; s++) {
            double r2 = 0;
            for (int i = 0; i < d; i++)
                r2 += (half->z[s * d + i] - mu[i]) * (half->z[s * d + i] - mu[i]);
            if (r2 < nearest[s]) nearest[s] = r2;
            total += nearest[s];
        }
        double u = total * bml_mcmc_rng_uniform(rng);
        for (pick = 0; pick < n - 1 && (u -= nearest[pick]) > 0; pick++) {}
    }
}

static void bml_mcmc__e_step(bml_mcmc__half *half, int K) {
    for (int s = 0; s < half->n; s++) {
        double *r = half->responsibility + s * K;
        for (int k = 0; k < K; k++)
            r[k] = half->log_norm[k] - 0.5 * bml_mcmc__distance2(half->z + s * half->d, half, k);
        bml_mcmc__softmax(r, K);
    }
}

/* Component k from its responsibilities; 0 when its covariance cannot be factored. */
static int bml_mcmc__m_step(bml_mcmc__half *half, int K, int k) {
    int n = half->n;
    int d = half->d;
    double *mu = half->mu + k * d;
    double *S = half->CL + k * d * d;
    double *v = half->scratch;
    double kappa = 0.5 * d;
    double total = 0;
    memset(mu, 0, sizeof(double) * (size_t)d);
    memset(S, 0, sizeof(double) * (size_t)(d * d));
    for (int s = 0; s < n; s++) {
        double r = half->responsibility[s * K + k];
        total += r;
        for (int i = 0; i < d; i++)
            mu[i] += r * half->z[s * d + i];
    }
    for (int i = 0; i < d; i++)
        mu[i] /= total + DBL_MIN;
    for (int s = 0; s < n; s++) {
        double r = half->responsibility[s * K + k];
        if (r < 1e-12) continue;
        for (int i = 0; i < d; i++)
            v[i] = half->z[s * d + i] - mu[i];
        for (int i = 0; i < d; i++)
            for (int j = 0; j <= i; j++)
                S[i * d + j] += r * v[i] * v[j];
    }
    for (int i = 0; i < d * d; i++)
        S[i] /= total + kappa;
    for (int i = 0; i < d; i++)
        S[i * d + i] += kappa * pow(K, -2.0 / d) / (total + kappa);
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
    int K = half->move.count;
    int d = half->d;
    if (!bml_mcmc__whiten(half)) return 0;
    bml_mcmc__seed_components(half, K, rng);
    for (int iteration = 0; iteration < half->em_steps; iteration++) {
        bml_mcmc__e_step(half, K);
        for (int k = 0; k < K; k++)
            if (!bml_mcmc__m_step(half, K, k)) return 0;
    }
    for (int k = 0; k < K; k++) {
        half->weight[k] *= 1 - BML_MCMC__DEFENCE;
        half->log_norm[k] += log(1 - BML_MCMC__DEFENCE);
    }
    memset(half->mu + K * d, 0, sizeof(double) * (size_t)d);
    bml_mcmc__unit_component(half, K, BML_MCMC__DEFENCE, 1);
    half->n_components = K + 1;
    return 1;
}

/* log q up to a constant: sum of t densities of BML_MCMC__DOF degrees of freedom. */
static double bml_mcmc__mixture_log_q(const double *z, const bml_mcmc__half *half) {
    double a[BML_MCMC__MAX_COMPONENTS];
    double s2 = half->move.scale * half->move.scale;
    for (int k = 0; k < half->n_components; k++)
        a[k] = half->log_norm[k] -
               0.5 * (BML_MCMC__DOF + half->d) * log(1 + bml_mcmc__distance2(z, half, k) / (BML_MCMC__DOF * s2));
    return bml_mcmc__softmax(a, half->n_components);
}

static double bml_mcmc__mixture(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    int d = half->d;
    int k;
    double *zx = half->scratch + d;
    double *zy = half->scratch + 2 * d;
    double *v = half->scratch;
    double u = bml_mcmc_rng_uniform(rng);
    double chi2 = 1;
    for (k = 0; k < half->n_components - 1 && (u -= half->weight[k]) > 0; k++) {}
    for (int i = 0; i < BML_MCMC__DOF / 2; i++)
        chi2 *= bml_mcmc_rng_uniform(rng);
    chi2 = -2 * log(chi2); /* an even number of degrees of freedom is a sum of exponentials */
    double t = half->move.scale * sqrt(BML_MCMC__DOF / chi2);
    for (int i = 0; i < d; i++)
        v[i] = t * bml_mcmc_rng_normal(rng);
    bml_mcmc__lower_times(zy, half->CL + k * d * d, v, d);
    for (int i = 0; i < d; i++)
        zy[i] += half->mu[k * d + i];
    bml_mcmc__to_z(zx, x, half);
    bml_mcmc__from_z(y, zy, half);
    return bml_mcmc__mixture_log_q(zx, half) - bml_mcmc__mixture_log_q(zy, half);
}

/* The table of moves: a new move is a new row. need_0 + need_d n_dim: members of a half it cannot do without. */
typedef struct bml_mcmc__move_row {
    const char *name;
    double scale; /* default; 0 is DE's, which depends on the dimension */
    int count;    /* default, 0 where it has none; -1: from the sizes */
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
    bml_mcmc_config config; /* defaults resolved */
    int started;
    bml_mcmc_move moves[BML_MCMC_MAX_MOVES];
    double cumulative[BML_MCMC_MAX_MOVES]; /* weights summed and normalised */
    uint64_t step, evaluations, steps_counted;
    uint64_t moves_proposed[BML_MCMC_MAX_MOVES], moves_accepted[BML_MCMC_MAX_MOVES];
    uint64_t *accepted;                           /* [n_walkers] */
    double *theta, *log_prob;                     /* [n_walkers][n_dim], [n_walkers] */
    double *old_theta, *old_log_prob;             /* as they were before the step under way */
    unsigned char *moved;                         /* [n_walkers] in the step under way */
    int *order;                                   /* [n_walkers] first half: updated first */
    double *other;                                /* [n_walkers/2][n_dim] */
    double *proposal;                             /* [n_walkers][n_dim] (half of it in a step, all in a start) */
    double *proposal_log_prob, *hastings, *log_u; /* [n_walkers] */
    double *inner;                                /* [n_walkers/2][n_dim + 3] surrogate moves only */
    bml_mcmc_rng *inner_rng;                      /* [n_walkers/2] */
    bml_mcmc__half half;
    bml_mcmc__half reference;       /* n = 0: none */
    double *chain, *chain_log_prob; /* [stored][n_walkers][n_dim], [stored][n_walkers] */
    size_t stored, capacity;
    char message[BML_MCMC_MESSAGE];
};

static const bml_mcmc_move bml_mcmc__default_moves[2] = {{BML_MCMC_STRETCH, 1, 0, 0}, {BML_MCMC_DE, 3, 0, 0}};

/* Fills in the defaults of one move and checks it; 0 when refused. */
static int bml_mcmc__resolve_move(bml_mcmc_ensemble *e, bml_mcmc_move *m) {
    int d = e->config.n_dim;
    int half = e->config.n_walkers / 2;
    if (m->kind < 0 || m->kind >= BML_MCMC_N_MOVES)
        return bml_mcmc__fail(e->message, 0, "there is no move number %d", m->kind);
    const bml_mcmc__move_row *row = &bml_mcmc__moves[m->kind];
    if (m->weight == 0) m->weight = 1;
    if (m->scale == 0) m->scale = m->kind == BML_MCMC_DE ? 2.38 / sqrt(2.0 * d) : row->scale;
    if (m->count == 0) {
        m->count = row->count;
        if (row->count < 0 && e->config.reference)
            m->count = e->config.n_reference < 50 * d        ? 1
                       : e->config.n_reference > 25 * 32 * d ? 32
                                                             : e->config.n_reference / (25 * d);
        else if (row->count < 0)
            m->count = 2 * half < 3 * d ? 1 : 2 * half > 24 * d ? 8 : 2 * half / (3 * d);
    }
    if (!(m->weight > 0 && m->weight < DBL_MAX && m->scale > 0 && m->scale < DBL_MAX))
        return bml_mcmc__fail(e->message, 0, "move %s: weight and scale must be positive and finite", row->name);
    if (m->kind == BML_MCMC_STRETCH && !(m->scale > 1))
        return bml_mcmc__fail(e->message, 0, "move stretch: scale is %g, must be above 1", m->scale);
    if (m->kind == BML_MCMC_SURROGATE) {
        if (!e->config.surrogate) return bml_mcmc__fail(e->message, 0, "move surrogate: config.surrogate is missing");
        if (m->scale > 1)
            return bml_mcmc__fail(e->message, 0, "move surrogate: scale is %g, must be within 0 and 1", m->scale);
        return m->count >= 1 && m->count <= 1000000 && half >= 2
                   ? 1
                   : bml_mcmc__fail(e->message, 0, "move surrogate: count is %d, must be within 1 and 1000000",
                                    m->count);
    }
    if (row->count && (m->count < (m->kind == BML_MCMC_WALK ? 2 : 1) || m->count > BML_MCMC_MAX_COUNT))
        return bml_mcmc__fail(e->message, 0, "move %s: count is %d, must be within 1 (walk: 2) and %d", row->name,
                              m->count, BML_MCMC_MAX_COUNT);
    if (m->kind == BML_MCMC_MIXTURE && e->config.reference) return 1;
    int need = row->need_0 + row->need_d * d;
    if (row->count && m->count > need) need = m->count;
    if (half < need)
        return bml_mcmc__fail(e->message, 0, "move %s needs at least %d walkers, not %d", row->name, 2 * need,
                              2 * half);
    return 1;
}

static int bml_mcmc__resolve_config(bml_mcmc_ensemble *e, const bml_mcmc_config *given) {
    bml_mcmc_config *c = &e->config;
    double total = 0;
    double sum = 0;
    *c = *given;
    if (!c->log_prob) return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "log_prob is missing");
    if (c->n_dim < 1) return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "n_dim is %d", c->n_dim);
    if (c->n_dim > 10000 || (double)c->n_dim * c->n_walkers > 5e8) /* so that int holds every index of a step */
        return bml_mcmc__fail(e->message, BML_MCMC_TOO_LARGE, "%d dimensions, %d walkers", c->n_dim, c->n_walkers);
    if (c->n_walkers == 0) c->n_walkers = 6 * c->n_dim < 32 ? 32 : 6 * c->n_dim;
    if (c->n_walkers < 2 * c->n_dim || c->n_walkers % 2)
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT,
                              "%d walkers for %d dimensions: an even number of at least %d is needed", c->n_walkers,
                              c->n_dim, 2 * c->n_dim);
    if ((c->reference != NULL) != (c->n_reference != 0) || (c->reference && c->n_reference < 50 * c->n_dim))
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT,
                              "%d reference points for %d dimensions: at least %d are needed", c->n_reference, c->n_dim,
                              50 * c->n_dim);
    if ((double)c->n_reference * c->n_dim > 5e8)
        return bml_mcmc__fail(e->message, BML_MCMC_TOO_LARGE, "%d reference points", c->n_reference);
    for (int i = 0; i < c->n_reference * c->n_dim; i++)
        if (!(fabs(c->reference[i]) <= DBL_MAX))
            return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "reference point %d is not finite", i / c->n_dim);
    if (c->thin == 0) c->thin = 1;
    if (c->thin < 0) return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "thin is %d", c->thin);
    if (!c->moves && c->n_moves == 0) {
        c->moves = bml_mcmc__default_moves;
        c->n_moves = 2;
    }
    if (!c->moves || c->n_moves < 1 || c->n_moves > BML_MCMC_MAX_MOVES)
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "%d moves given, 1 to %d are possible", c->n_moves,
                              BML_MCMC_MAX_MOVES);
    for (int i = 0; i < c->n_moves; i++) {
        e->moves[i] = c->moves[i];
        if (!bml_mcmc__resolve_move(e, &e->moves[i])) return BML_MCMC_BAD_ARGUMENT;
        total += e->moves[i].weight;
    }
    for (int i = 0; i < c->n_moves; i++)
        e->cumulative[i] = (sum += e->moves[i].weight) / total;
    c->moves = e->moves;
    return BML_MCMC_OK;
}

/* What a fit of h->n points in h->d dimensions fills; 0 when memory is short. */
static int bml_mcmc__density_arrays(bml_mcmc__half *h) {
    size_t N = (size_t)h->n;
    size_t D = (size_t)h->d;
    size_t K = BML_MCMC__MAX_COMPONENTS;
    return (h->mean = bml_mcmc__doubles(D, 1)) && (h->L = bml_mcmc__doubles(D, D)) &&
           (h->A = bml_mcmc__doubles(D, D)) && (h->z = bml_mcmc__doubles(N, D)) &&
           (h->weight = bml_mcmc__doubles(K, 1)) && (h->log_norm = bml_mcmc__doubles(K, 1)) &&
           (h->mu = bml_mcmc__doubles(K, D)) && (h->CL = bml_mcmc__doubles(K * D, D)) &&
           (h->CA = bml_mcmc__doubles(K * D, D)) && (h->responsibility = bml_mcmc__doubles(N, K)) &&
           (h->scratch = bml_mcmc__doubles(3, D));
}

static void bml_mcmc__density_free(bml_mcmc__half *h) {
    BML_MCMC_FREE(h->mean);
    BML_MCMC_FREE(h->L);
    BML_MCMC_FREE(h->A);
    BML_MCMC_FREE(h->z);
    BML_MCMC_FREE(h->weight);
    BML_MCMC_FREE(h->log_norm);
    BML_MCMC_FREE(h->mu);
    BML_MCMC_FREE(h->CL);
    BML_MCMC_FREE(h->CA);
    BML_MCMC_FREE(h->responsibility);
    BML_MCMC_FREE(h->scratch);
}

/* Fits the mixture to the reference points. */
static int bml_mcmc__fit_reference(bml_mcmc_ensemble *e) {
    bml_mcmc__half *r = &e->reference;
    bml_mcmc_rng rng = bml_mcmc__stream(e->config.seed, bml_mcmc__shared, 0, 0);
    int d = e->config.n_dim;
    r->n = e->config.n_reference;
    r->d = d;
    r->other = e->config.reference;
    r->em_steps = BML_MCMC__EM_STEPS_REFERENCE;
    r->move.kind = BML_MCMC_MIXTURE;
    r->move.weight = r->move.scale = 1;
    r->move.count = r->n / (25 * d) < 1                    ? 1
                    : r->n / (25 * d) > BML_MCMC_MAX_COUNT ? BML_MCMC_MAX_COUNT
                                                           : r->n / (25 * d);
    for (int i = 0; i < e->config.n_moves; i++)
        if (e->moves[i].kind == BML_MCMC_MIXTURE) r->move = e->moves[i];
    if (!bml_mcmc__density_arrays(r)) return BML_MCMC_NO_MEMORY;
    if (!bml_mcmc__fit_mixture(r, &rng))
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "the reference points span less than the space");
    r->other = NULL; /* the caller may let go of them */
    return BML_MCMC_OK;
}

static int bml_mcmc__allocate(bml_mcmc_ensemble *e) {
    size_t W = (size_t)e->config.n_walkers;
    size_t D = (size_t)e->config.n_dim;
    size_t H = W / 2;
    bml_mcmc__half *h = &e->half;
    int density = 0; /* is there a move that needs fit's arrays? */
    for (int i = 0; i < e->config.n_moves; i++)
        density |= bml_mcmc__moves[e->moves[i].kind].fit != NULL;
    h->n = (int)H;
    h->d = (int)D;
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

BML_MCMC_DEF int bml_mcmc_ensemble_create(bml_mcmc_ensemble **out, const bml_mcmc_config *config, char *why) {
    if (why) why[0] = 0;
    if (!out) return bml_mcmc__refuse(why, BML_MCMC_BAD_ARGUMENT, "there is no place for the sampler");
    *out = NULL;
    if (!config) return bml_mcmc__refuse(why, BML_MCMC_BAD_ARGUMENT, "config is missing");
    bml_mcmc_ensemble *e = (bml_mcmc_ensemble *)bml_mcmc__alloc(1, 1, sizeof *e);
    if (!e) return bml_mcmc__refuse(why, BML_MCMC_NO_MEMORY, NULL);
    int status = bml_mcmc__resolve_config(e, config);
    if (!status) status = bml_mcmc__allocate(e);
    if (!status && config->reference) status = bml_mcmc__fit_reference(e);
    if (!status) {
        *out = e;
        return BML_MCMC_OK;
    }
    bml_mcmc__refuse(why, status, e->message);
    bml_mcmc_ensemble_free(e);
    return status;
}

BML_MCMC_DEF void bml_mcmc_ensemble_free(bml_mcmc_ensemble *e) {
    if (!e) return;
    BML_MCMC_FREE(e->accepted);
    BML_MCMC_FREE(e->theta);
    BML_MCMC_FREE(e->log_prob);
    BML_MCMC_FREE(e->old_theta);
    BML_MCMC_FREE(e->old_log_prob);
    BML_MCMC_FREE(e->moved);
    BML_MCMC_FREE(e->order);
    BML_MCMC_FREE(e->other);
    BML_MCMC_FREE(e->proposal);
    BML_MCMC_FREE(e->proposal_log_prob);
    BML_MCMC_FREE(e->hastings);
    BML_MCMC_FREE(e->log_u);
    bml_mcmc__density_free(&e->half);
    bml_mcmc__density_free(&e->reference);
    BML_MCMC_FREE(e->inner);
    BML_MCMC_FREE(e->inner_rng);
    BML_MCMC_FREE(e->chain);
    BML_MCMC_FREE(e->chain_log_prob);
    BML_MCMC_FREE(e);
}

BML_MCMC_DEF const char *bml_mcmc_ensemble_message(const bml_mcmc_ensemble *e) {
    return e ? e->message : "";
}

BML_MCMC_DEF void bml_mcmc_ensemble_clear(bml_mcmc_ensemble *e) {
    if (!e) return;
    e->stored = 0;
    e->steps_counted = 0;
    memset(e->accepted, 0, sizeof *e->accepted * (size_t)e->config.n_walkers);
    memset(e->moves_proposed, 0, sizeof e->moves_proposed);
    memset(e->moves_accepted, 0, sizeof e->moves_accepted);
}

BML_MCMC_DEF bml_mcmc_chain bml_mcmc_ensemble_chain(const bml_mcmc_ensemble *e) {
    bml_mcmc_chain c = {NULL, NULL, 0, 0, 0};
    if (!e) return c;
    c.theta = e->chain;
    c.log_prob = e->chain_log_prob;
    c.n_steps = e->stored;
    c.n_walkers = e->config.n_walkers;
    c.n_dim = e->config.n_dim;
    return c;
}

BML_MCMC_DEF bml_mcmc_ensemble_info bml_mcmc_ensemble_get_info(const bml_mcmc_ensemble *e) {
    bml_mcmc_ensemble_info i;
    memset(&i, 0, sizeof i);
    if (!e) return i;
    i.n_dim = e->config.n_dim;
    i.n_walkers = e->config.n_walkers;
    i.n_moves = e->config.n_moves;
    i.thin = e->config.thin;
    i.step = e->step;
    i.evaluations = e->evaluations;
    i.steps_counted = e->steps_counted;
    i.theta = e->theta;
    i.log_prob = e->log_prob;
    i.accepted = e->accepted;
    i.moves = e->moves;
    i.moves_proposed = e->moves_proposed;
    i.moves_accepted = e->moves_accepted;
    return i;
}

/* >> ensemble: start */

enum { BML_MCMC__REDRAWS = 100 };

/* "(1, 2.5, ...)" of x[d] appended to the message; what does not fit is left out. */
static void bml_mcmc__append_point(char *message, const double *x, int d) {
    for (int i = 0; i < d; i++) {
        size_t used = strlen(message);
        snprintf(message + used, BML_MCMC_MESSAGE - used, "%s%.10g%s", i ? ", " : " theta = (", x[i],
                 i == d - 1 ? ")" : "");
    }
}

/* Calls the user for theta[n][n_dim] and checks the answers. name[i] is the walker of row i. */
static int bml_mcmc__call(bml_mcmc_ensemble *e, bml_mcmc_log_prob f, double *log_prob, const double *theta, int n,
                          const int *name) {
    int d = e->config.n_dim;
    for (int i = 0; i < n; i++)
        log_prob[i] = BML_MCMC__NAN; /* a callback that leaves one out is found */
    f(log_prob, theta, n, d, e->config.user);
    for (int i = 0; i < n; i++) {
        int status = log_prob[i] != log_prob[i] ? BML_MCMC_NAN
                     : log_prob[i] > DBL_MAX    ? BML_MCMC_INFINITE
                                                : BML_MCMC_OK;
        if (status == BML_MCMC_OK) continue;
        bml_mcmc__fail(e->message, status, "%s %s for walker %d after step %llu:",
                       f == e->config.log_prob ? "log-probability" : "surrogate",
                       status == BML_MCMC_NAN ? "NaN" : "+infinity", name ? name[i] : i, (unsigned long long)e->step);
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
    int W = e->config.n_walkers;
    int d = e->config.n_dim;
    int status = BML_MCMC_OK;
    double *mean = bml_mcmc__doubles((size_t)d, 1);
    double *cov = bml_mcmc__doubles((size_t)d, (size_t)d);
    double *sd = bml_mcmc__doubles((size_t)d, 1);
    if (!mean || !cov || !sd) status = bml_mcmc__fail(e->message, BML_MCMC_NO_MEMORY, "start");
    if (!status) bml_mcmc__moments(mean, cov, theta, W, d);
    for (int i = 0; i < d && !status; i++) {
        sd[i] = sqrt(cov[i * d + i]);
        if (!(sd[i] > 1e-13 * fabs(mean[i]) && sd[i] < DBL_MAX))
            status = bml_mcmc__fail(e->message, BML_MCMC_BAD_START, "parameter %d is %.10g in all walkers", i, mean[i]);
    }
    for (int i = 0; i < d && !status; i++)
        for (int j = 0; j <= i; j++)
            cov[i * d + j] = i == j ? 1 : cov[i * d + j] / sd[i] / sd[j];
    if (!status && !bml_mcmc__cholesky(cov, d, 1e-12))
        status = bml_mcmc__fail(e->message, BML_MCMC_BAD_START,
                                "the walkers lie in a plane: some parameter is given by the others");
    BML_MCMC_FREE(mean);
    BML_MCMC_FREE(cov);
    BML_MCMC_FREE(sd);
    return status;
}

static int bml_mcmc__check_start(bml_mcmc_ensemble *e, const double *theta) {
    int W = e->config.n_walkers;
    int d = e->config.n_dim;
    size_t row = sizeof(double) * (size_t)d;
    for (int i = 0; i < W; i++)
        for (int j = 0; j < d; j++)
            if (!(fabs(theta[i * d + j]) <= DBL_MAX))
                return bml_mcmc__fail(e->message, BML_MCMC_BAD_START, "walker %d: parameter %d is not finite", i, j);
    for (int i = 0; i < W; i++)
        for (int j = 0; j < i; j++)
            if (!memcmp(theta + i * d, theta + j * d, row))
                return bml_mcmc__fail(e->message, BML_MCMC_BAD_START, "walkers %d and %d start at the same point", j,
                                      i);
    return bml_mcmc__check_span(e, theta);
}

/* The positions are in e->proposal, their log-probabilities beside them: take them. */
static int bml_mcmc__begin(bml_mcmc_ensemble *e) {
    size_t W = (size_t)e->config.n_walkers;
    for (size_t i = 0; i < W; i++)
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
    if ((status = bml_mcmc__evaluate(e, e->proposal_log_prob, e->proposal, e->config.n_walkers, NULL)) != BML_MCMC_OK)
        return status;
    e->evaluations = (uint64_t)e->config.n_walkers;
    return bml_mcmc__begin(e);
}

typedef struct bml_mcmc__source {
    const double *center, *radius; /* a ball, or */
    const bml_mcmc_prior *prior;
} bml_mcmc__source;

static int bml_mcmc__draw(bml_mcmc_ensemble *e, double *theta, const bml_mcmc__source *from, bml_mcmc_rng *rng) {
    int d = e->config.n_dim;
    double *cube = e->hastings; /* n_walkers >= 2 n_dim numbers, free between steps */
    for (int i = 0; i < d; i++) {
        cube[i] = bml_mcmc_rng_uniform(rng);
        if (!from->prior) theta[i] = from->center[i] + from->radius[i] * (2 * cube[i] - 1);
    }
    return from->prior ? bml_mcmc_prior_transform(from->prior, theta, cube) : BML_MCMC_OK;
}

/* Draws every walker from its own stream; those at -infinity again, together, up to BML_MCMC__REDRAWS times. */
static int bml_mcmc__start_drawn(bml_mcmc_ensemble *e, const bml_mcmc__source *from) {
    int W = e->config.n_walkers;
    int d = e->config.n_dim;
    int todo = W;
    size_t row = sizeof(double) * (size_t)d;
    for (int i = 0; i < W; i++)
        e->order[i] = i;
    int left;
    int status;
    for (int redraw = 0; redraw < BML_MCMC__REDRAWS && todo; redraw++) {
        for (int i = 0; i < todo; i++) {
            bml_mcmc_rng rng = bml_mcmc__stream(e->config.seed, (uint32_t)e->order[i], 0, 0);
            rng.counter[0] = (uint32_t)(redraw * d); /* d uniforms use fewer than d blocks */
            status = bml_mcmc__draw(e, e->old_theta + i * d, from, &rng);
            if (status)
                return bml_mcmc__fail(e->message, status, "walker %d could not be drawn from the prior", e->order[i]);
        }
        status = bml_mcmc__evaluate(e, e->old_log_prob, e->old_theta, todo, e->order);
        if (status) return status;
        e->evaluations += (uint64_t)todo;
        for (int i = left = 0; i < todo; i++) {
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
    int status = bml_mcmc__reset(e);
    if (status) return status;
    if (!center || !radius) return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "center or radius is missing");
    for (int i = 0; i < e->config.n_dim; i++)
        if (!(fabs(center[i]) <= DBL_MAX && radius[i] > 0 && radius[i] <= DBL_MAX))
            return bml_mcmc__fail(e->message, BML_MCMC_BAD_START, "ball: parameter %d has center %g and radius %g", i,
                                  center[i], radius[i]);
    bml_mcmc__source from;
    from.center = center;
    from.radius = radius;
    from.prior = NULL;
    return bml_mcmc__start_drawn(e, &from);
}

static int bml_mcmc__prior_dim(const bml_mcmc_prior *prior);

BML_MCMC_DEF int bml_mcmc_start_prior(bml_mcmc_ensemble *e, const bml_mcmc_prior *prior) {
    int status = bml_mcmc__reset(e);
    if (status) return status;
    if (!prior || bml_mcmc__prior_dim(prior) != e->config.n_dim)
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "the prior has %d dimensions, the sampler %d",
                              prior ? bml_mcmc__prior_dim(prior) : 0, e->config.n_dim);
    bml_mcmc__source from;
    from.center = from.radius = NULL;
    from.prior = prior;
    return bml_mcmc__start_drawn(e, &from);
}

/* >> ensemble: steps */

/* Room for `more` further steps; grows by half at least, so that many short runs do not copy the chain each time. */
static int bml_mcmc__reserve(bml_mcmc_ensemble *e, size_t more) {
    size_t W = (size_t)e->config.n_walkers;
    size_t D = (size_t)e->config.n_dim;
    size_t capacity = e->stored + more;
    if (capacity < more) return bml_mcmc__fail(e->message, BML_MCMC_TOO_LARGE, "chain of more than 2^64 steps");
    if (capacity <= e->capacity) return BML_MCMC_OK;
    if (capacity < e->capacity + e->capacity / 2) capacity = e->capacity + e->capacity / 2;
    size_t bytes;
    size_t bytes_lp;
    if (!bml_mcmc__mul(&bytes, capacity, W, D * sizeof(double)) ||
        !bml_mcmc__mul(&bytes_lp, capacity, W, sizeof(double)))
        return bml_mcmc__fail(e->message, BML_MCMC_TOO_LARGE, "chain of %llu steps", (unsigned long long)capacity);
    double *p;
    if ((p = (double *)BML_MCMC_REALLOC(e->chain, bytes)) != NULL) e->chain = p;
    if (p && (p = (double *)BML_MCMC_REALLOC(e->chain_log_prob, bytes_lp)) != NULL) e->chain_log_prob = p;
    if (!p) return bml_mcmc__fail(e->message, BML_MCMC_NO_MEMORY, "chain of %llu steps", (unsigned long long)capacity);
    e->capacity = capacity;
    return BML_MCMC_OK;
}

/* A random order of the walkers: its first half is updated first (Fisher & Yates). */
static void bml_mcmc__shuffle(int *order, int n, bml_mcmc_rng *rng) {
    for (int i = 0; i < n; i++) {
        int j = bml_mcmc__below(rng, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
}

/* Proposals for the walkers mine[0..H-1]; each draws from its own stream of this step. */
static void bml_mcmc__propose(bml_mcmc_ensemble *e, const int *mine, int fitted) {
    const bml_mcmc__half *half = &e->half;
    const bml_mcmc__half *from = e->half.move.kind == BML_MCMC_MIXTURE && e->reference.n ? &e->reference : half;
    int d = half->d;
    int kind = fitted ? half->move.kind : BML_MCMC_STRETCH;
    uint64_t step = e->step + 1;
    for (int i = 0; i < half->n; i++) {
        bml_mcmc_rng rng = bml_mcmc__stream(e->config.seed, (uint32_t)mine[i], (uint32_t)step, (uint32_t)(step >> 32));
        const double *x = e->theta + mine[i] * d;
        double *y = e->proposal + i * d;
        double check = 0;
        e->log_u[i] = log(bml_mcmc_rng_uniform(&rng));
        e->hastings[i] = bml_mcmc__moves[kind].propose(y, x, from, &rng);
        for (int j = 0; j < d; j++)
            check += 0 * y[j];
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

/* Proposals of the surrogate move. All walkers of the half take each inner step together, so that the surrogate is
   called for many points at once; inner = {positions tried [H][d],
   log s tried [H], log s now [H], log s at the start [H]}. */
static int bml_mcmc__propose_surrogate(bml_mcmc_ensemble *e, const int *mine) {
    const bml_mcmc__half *half = &e->half;
    bml_mcmc__half inner = e->half; /* the same complementary half, with the inner moves' scales */
    int H = half->n;
    int d = half->d;
    size_t bytes = sizeof(double) * (size_t)d;
    double *tried = e->inner;
    double *log_tried = tried + H * d;
    double *log_now = log_tried + H;
    double *log_start = log_now + H;
    uint64_t step = e->step + 1;
    for (int i = 0; i < H; i++) {
        e->inner_rng[i] = bml_mcmc__stream(e->config.seed, (uint32_t)mine[i], (uint32_t)step, (uint32_t)(step >> 32));
        e->log_u[i] = log(bml_mcmc_rng_uniform(&e->inner_rng[i]));
        memcpy(e->proposal + i * d, e->theta + mine[i] * d, bytes);
    }
    int status;
    if ((status = bml_mcmc__call(e, e->config.surrogate, log_start, e->proposal, H, mine)) != BML_MCMC_OK)
        return status;
    memcpy(log_now, log_start, sizeof(double) * (size_t)H);
    for (int k = 0; k < half->move.count; k++) {
        for (int i = 0; i < H; i++) {
            bml_mcmc_rng *rng = &e->inner_rng[i];
            int kind = bml_mcmc__inner_kind(bml_mcmc_rng_uniform(rng), e->reference.n ? half->move.scale : 0);
            double *x = e->proposal + i * d;
            double *y = tried + i * d;
            double check = 0;
            inner.move.scale = kind == BML_MCMC_DE ? 2.38 / sqrt(2.0 * d) : bml_mcmc__moves[kind].scale;
            e->hastings[i] =
                bml_mcmc__moves[kind].propose(y, x, kind == BML_MCMC_MIXTURE ? &e->reference : &inner, rng);
            for (int j = 0; j < d; j++)
                check += 0 * y[j];
            if (!(check == 0)) memcpy(y, x, bytes);
        }
        if ((status = bml_mcmc__call(e, e->config.surrogate, log_tried, tried, H, mine)) != BML_MCMC_OK) return status;
        for (int i = 0; i < H; i++)
            if (log(bml_mcmc_rng_uniform(&e->inner_rng[i])) < e->hastings[i] + log_tried[i] - log_now[i]) {
                memcpy(e->proposal + i * d, tried + i * d, bytes);
                log_now[i] = log_tried[i];
            }
    }
    for (int i = 0; i < H; i++) /* a start that the surrogate calls impossible cannot be left by this move */
        e->hastings[i] = log_start[i] > -BML_MCMC__INF ? log_start[i] - log_now[i] : -BML_MCMC__INF;
    return BML_MCMC_OK;
}

/* Moves half 0 or 1 of the order, the other standing still. Positions change, counts do not. */
static int bml_mcmc__half_step(bml_mcmc_ensemble *e, int which, int *move, bml_mcmc_rng *shared) {
    bml_mcmc__half *half = &e->half;
    int d = half->d;
    int H = half->n;
    int m = 0;
    int fitted = 1;
    const int *mine = e->order + which * H;
    const int *theirs = e->order + (1 - which) * H;
    double u = bml_mcmc_rng_uniform(shared);
    while (m < e->config.n_moves - 1 && u > e->cumulative[m])
        m++;
    *move = m;
    half->move = e->moves[m];
    for (int i = 0; i < H; i++)
        memcpy(e->other + i * d, e->theta + theirs[i] * d, sizeof(double) * (size_t)d);
    if (bml_mcmc__moves[half->move.kind].fit && !(half->move.kind == BML_MCMC_MIXTURE && e->reference.n))
        fitted = bml_mcmc__moves[half->move.kind].fit(half, shared);
    if (!fitted) half->move.scale = bml_mcmc__moves[BML_MCMC_STRETCH].scale;
    int status;
    if (half->move.kind == BML_MCMC_SURROGATE) {
        if ((status = bml_mcmc__propose_surrogate(e, mine)) != BML_MCMC_OK) return status;
    } else {
        bml_mcmc__propose(e, mine, fitted);
    }
    status = bml_mcmc__evaluate(e, e->proposal_log_prob, e->proposal, H, mine);
    if (status) return status;
    for (int i = 0; i < H; i++) {
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
    int W = e->config.n_walkers;
    int d = e->config.n_dim;
    int H = W / 2;
    uint64_t step = e->step + 1;
    uint64_t taken[2];
    int used[2];
    size_t bytes = sizeof(double) * (size_t)W;
    bml_mcmc_rng shared = bml_mcmc__stream(e->config.seed, bml_mcmc__shared, (uint32_t)step, (uint32_t)(step >> 32));
    memcpy(e->old_theta, e->theta, bytes * (size_t)d);
    memcpy(e->old_log_prob, e->log_prob, bytes);
    bml_mcmc__shuffle(e->order, W, &shared);
    int move;
    for (int which = 0; which < 2; which++) {
        int status = bml_mcmc__half_step(e, which, &move, &shared);
        if (status) {
            memcpy(e->theta, e->old_theta, bytes * (size_t)d);
            memcpy(e->log_prob, e->old_log_prob, bytes);
            return status;
        }
        used[which] = move;
        taken[which] = 0;
        for (int i = 0; i < H; i++)
            taken[which] += e->moved[e->order[which * H + i]];
    }
    for (int i = 0; i < W; i++)
        e->accepted[i] += e->moved[i];
    for (int which = 0; which < 2; which++) {
        e->moves_proposed[used[which]] += (uint64_t)H;
        e->moves_accepted[used[which]] += taken[which];
    }
    e->evaluations += (uint64_t)W;
    e->step++;
    e->steps_counted++;
    return BML_MCMC_OK;
}

static int bml_mcmc__report(const bml_mcmc_ensemble *e, uint64_t last) {
    uint64_t accepted = 0;
    for (int i = 0; i < e->config.n_moves; i++)
        accepted += e->moves_accepted[i];
    bml_mcmc_progress p;
    p.step = e->step;
    p.last = last;
    p.evaluations = e->evaluations;
    p.acceptance = (double)accepted / ((double)e->steps_counted * e->config.n_walkers);
    return e->config.progress(&p, e->config.progress_user);
}

BML_MCMC_DEF int bml_mcmc_run(bml_mcmc_ensemble *e, size_t n_steps) {
    if (!e) return BML_MCMC_BAD_ARGUMENT;
    if (!e->started) return bml_mcmc__fail(e->message, BML_MCMC_NOT_STARTED, "call one of bml_mcmc_start_... first");
    size_t W = (size_t)e->config.n_walkers;
    size_t D = (size_t)e->config.n_dim;
    uint64_t thin = (uint64_t)e->config.thin;
    uint64_t last = e->step + n_steps;
    if (last < e->step) return bml_mcmc__fail(e->message, BML_MCMC_TOO_LARGE, "more than 2^64 steps");
    e->message[0] = 0;
    int status;
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

/* >> save and load
   A state is a row of 8-byte words, integers and doubles, in this machine's byte order: magic, version and kind of
   sampler, size, checksum; words that must agree with the sampler that loads it; a count n; then the rest, whose size
   is given by n. */

enum { BML_MCMC__STATE_VERSION = 2, BML_MCMC__KIND_ENSEMBLE = 0, BML_MCMC__KIND_NESTED, BML_MCMC__KIND_NUTS };
enum {
    BML_MCMC__HEAD = 4,
    BML_MCMC__FIXED = 5 + 4 * BML_MCMC_MAX_MOVES,
    BML_MCMC__COUNTS = 3 + 2 * BML_MCMC_MAX_MOVES
};
static const uint64_t bml_mcmc__state_magic = 0x62616c656e73626dull; /* other byte orders read another number */

/* FNV-1a, a word at a time, with a shift so that high bits reach the low ones. */
static uint64_t bml_mcmc__checksum(const unsigned char *p, size_t words) {
    uint64_t h = 14695981039346656037ull;
    uint64_t w;
    for (; words; words--, p += 8) {
        memcpy(&w, p, 8);
        h = (h ^ w) * 1099511628211ull;
        h ^= h >> 29;
    }
    return h;
}

/* One field of the state, copied to the buffer or (load) from it; doubles and uint64_t alike. */
static void bml_mcmc__words(unsigned char **at, void *field, size_t words, int load) {
    if (words && load)
        memcpy(field, *at, 8 * words);
    else if (words)
        memcpy(*at, field, 8 * words);
    *at += 8 * words;
}

/* Begins a state of `bytes`: *at moves behind the count. */
static int bml_mcmc__save_head(char *message, unsigned char **at, size_t size, size_t bytes, uint64_t *fixed,
                               uint64_t n) {
    if (!bytes) return bml_mcmc__fail(message, BML_MCMC_NOT_STARTED, "nothing to save");
    if (!*at || size < bytes)
        return bml_mcmc__fail(message, BML_MCMC_BAD_ARGUMENT, "the state needs %llu bytes", (unsigned long long)bytes);
    *at += 8 * BML_MCMC__HEAD;
    bml_mcmc__words(at, fixed, BML_MCMC__FIXED, 0);
    bml_mcmc__words(at, &n, 1, 0);
    return BML_MCMC_OK;
}

/* Ends it. */
static void bml_mcmc__seal(void *buffer, size_t bytes, int kind) {
    uint64_t head[BML_MCMC__HEAD];
    head[0] = bml_mcmc__state_magic;
    head[1] = BML_MCMC__STATE_VERSION + 256 * (uint64_t)kind;
    head[2] = bytes;
    head[3] = bml_mcmc__checksum((unsigned char *)buffer + sizeof head, bytes / 8 - BML_MCMC__HEAD);
    memcpy(buffer, head, sizeof head);
}

/* Everything that can be wrong with a state of least + n row bytes is found here, before the sampler is touched. `want`
   are the words that must agree, the first n_names of them by name. */
static int bml_mcmc__check_head(char *message, const void *buffer, size_t size, int kind, const uint64_t *want,
                                const char *const *names, int n_names, size_t least, size_t row, size_t *count) {
    const unsigned char *at = (const unsigned char *)buffer;
    uint64_t head[BML_MCMC__HEAD];
    uint64_t fixed[BML_MCMC__FIXED];
    if (!buffer) return bml_mcmc__fail(message, BML_MCMC_BAD_ARGUMENT, "buffer is missing");
    if (size < least) return bml_mcmc__fail(message, BML_MCMC_BAD_STATE, "only %llu bytes", (unsigned long long)size);
    memcpy(head, at, sizeof head);
    if (head[0] != bml_mcmc__state_magic || head[1] != BML_MCMC__STATE_VERSION + 256 * (uint64_t)kind)
        return bml_mcmc__fail(message, BML_MCMC_BAD_STATE,
                              "not a state of this sampler, this version and this byte order");
    memcpy(fixed, at + sizeof head, sizeof fixed);
    for (int i = 0; i < BML_MCMC__FIXED; i++)
        if (fixed[i] != want[i])
            return bml_mcmc__fail(message, BML_MCMC_BAD_STATE, "saved with other settings: %s is %llu there, %llu here",
                                  i < n_names ? names[i] : "a word of the moves", (unsigned long long)fixed[i],
                                  (unsigned long long)want[i]);
    uint64_t n;
    memcpy(&n, at + sizeof head + sizeof fixed, 8);
    if (n > (size - least) / row || head[2] != least + n * row)
        return bml_mcmc__fail(message, BML_MCMC_BAD_STATE, "%llu bytes do not hold what they say",
                              (unsigned long long)size);
    if (head[3] != bml_mcmc__checksum(at + sizeof head, (size_t)head[2] / 8 - BML_MCMC__HEAD))
        return bml_mcmc__fail(message, BML_MCMC_BAD_STATE, "the checksum is wrong");
    *count = (size_t)n;
    return BML_MCMC_OK;
}

/* Words that a state must share with the sampler it is loaded into. */
static void bml_mcmc__fingerprint(uint64_t *words /*[BML_MCMC__FIXED]*/, const bml_mcmc_ensemble *e) {
    memset(words, 0, 8 * BML_MCMC__FIXED);
    words[0] = (uint64_t)e->config.n_dim;
    words[1] = (uint64_t)e->config.n_walkers;
    words[2] = e->config.seed;
    words[3] = (uint64_t)e->config.thin;
    words[4] = (uint64_t)e->config.n_moves;
    for (int i = 0; i < e->config.n_moves; i++) {
        uint64_t *w = words + 5 + 4 * i;
        w[0] = (uint64_t)e->moves[i].kind;
        w[1] = (uint64_t)(int64_t)e->moves[i].count;
        memcpy(w + 2, &e->moves[i].weight, 8);
        memcpy(w + 3, &e->moves[i].scale, 8);
    }
}

static size_t bml_mcmc__state_bytes(const bml_mcmc_ensemble *e, size_t stored) {
    size_t W = (size_t)e->config.n_walkers;
    size_t D = (size_t)e->config.n_dim;
    return 8 * (BML_MCMC__HEAD + BML_MCMC__FIXED + 1 + BML_MCMC__COUNTS + W + (stored + 1) * W * (D + 1));
}

BML_MCMC_DEF size_t bml_mcmc_ensemble_save_size(const bml_mcmc_ensemble *e) {
    return e && e->started ? bml_mcmc__state_bytes(e, e->stored) : 0;
}

/* The counts and arrays, to or from the buffer. */
static void bml_mcmc__transfer(bml_mcmc_ensemble *e, unsigned char **at, int load) {
    size_t W = (size_t)e->config.n_walkers;
    size_t D = (size_t)e->config.n_dim;
    bml_mcmc__words(at, &e->step, 1, load);
    bml_mcmc__words(at, &e->evaluations, 1, load);
    bml_mcmc__words(at, &e->steps_counted, 1, load);
    bml_mcmc__words(at, e->moves_proposed, BML_MCMC_MAX_MOVES, load);
    bml_mcmc__words(at, e->moves_accepted, BML_MCMC_MAX_MOVES, load);
    bml_mcmc__words(at, e->accepted, W, load);
    bml_mcmc__words(at, e->theta, W * D, load);
    bml_mcmc__words(at, e->log_prob, W, load);
    bml_mcmc__words(at, e->chain, e->stored * W * D, load);
    bml_mcmc__words(at, e->chain_log_prob, e->stored * W, load);
}

BML_MCMC_DEF int bml_mcmc_ensemble_save(bml_mcmc_ensemble *e, void *buffer, size_t size) {
    uint64_t fixed[BML_MCMC__FIXED];
    unsigned char *at = (unsigned char *)buffer;
    size_t bytes = bml_mcmc_ensemble_save_size(e);
    if (!e) return BML_MCMC_BAD_ARGUMENT;
    bml_mcmc__fingerprint(fixed, e);
    int status;
    if ((status = bml_mcmc__save_head(e->message, &at, size, bytes, fixed, e->stored)) != BML_MCMC_OK) return status;
    bml_mcmc__transfer(e, &at, 0);
    bml_mcmc__seal(buffer, bytes, BML_MCMC__KIND_ENSEMBLE);
    return BML_MCMC_OK;
}

/* The saved positions must have their saved log-probabilities in this sampler too: another problem does not pass. */
static int bml_mcmc__check_problem(bml_mcmc_ensemble *e, const unsigned char *at) {
    size_t W = (size_t)e->config.n_walkers;
    size_t D = (size_t)e->config.n_dim;
    const unsigned char *positions = at + 8 * (BML_MCMC__HEAD + BML_MCMC__FIXED + 1 + BML_MCMC__COUNTS + W);
    memcpy(e->proposal, positions, 8 * W * D);
    memcpy(e->old_log_prob, positions + 8 * W * D, 8 * W);
    int status = bml_mcmc__evaluate(e, e->proposal_log_prob, e->proposal, (int)W, NULL);
    for (size_t i = 0; i < W && !status; i++)
        if (!(fabs(e->proposal_log_prob[i] - e->old_log_prob[i]) <= 1e-6 * (1 + fabs(e->old_log_prob[i]))))
            status = bml_mcmc__fail(e->message, BML_MCMC_BAD_STATE,
                                    "walker %d: log-probability %.10g saved, %.10g now: another problem", (int)i,
                                    e->old_log_prob[i], e->proposal_log_prob[i]);
    return status;
}

BML_MCMC_DEF int bml_mcmc_ensemble_load(bml_mcmc_ensemble *e, const void *buffer, size_t size) {
    static const char *const names[5] = {"n_dim", "n_walkers", "seed", "thin", "n_moves"};
    uint64_t want[BML_MCMC__FIXED];
    /* only read from */
    unsigned char *at = (unsigned char *)(size_t)buffer + 8 * (BML_MCMC__HEAD + BML_MCMC__FIXED + 1);
    size_t stored = 0;
    if (!e) return BML_MCMC_BAD_ARGUMENT;
    bml_mcmc__fingerprint(want, e);
    size_t least = bml_mcmc__state_bytes(e, 0);
    int status = bml_mcmc__check_head(e->message, buffer, size, BML_MCMC__KIND_ENSEMBLE, want, names, 5, least,
                                      bml_mcmc__state_bytes(e, 1) - least, &stored);
    if (!status) status = bml_mcmc__check_problem(e, (const unsigned char *)buffer);
    if (!status && stored > e->stored) status = bml_mcmc__reserve(e, stored - e->stored);
    if (status) return status;
    e->stored = stored;
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
   two walkers share a complex transform, since |FT(a + i b)|^2 symmetrised is |FT a|^2 + |FT b|^2. The forward
   transform leaves its bins in bit-reversed order and the inverse
   one takes them so: no reordering. w[h + j] = exp(-i pi j/h). */
static void bml_mcmc__fft_forward(double *BML_MCMC_RESTRICT re, double *BML_MCMC_RESTRICT im,
                                  const double *BML_MCMC_RESTRICT wr, const double *BML_MCMC_RESTRICT wi, size_t n) {
    size_t h = n / 2;
    if (n < 2) return;
    for (size_t j = 0; j < h; j++) {
        double dr = re[j] - re[j + h];
        double di = im[j] - im[j + h];
        re[j] += re[j + h];
        im[j] += im[j + h];
        re[j + h] = dr * wr[h + j] - di * wi[h + j];
        im[j + h] = dr * wi[h + j] + di * wr[h + j];
    }
    bml_mcmc__fft_forward(re, im, wr, wi, h);
    bml_mcmc__fft_forward(re + h, im + h, wr, wi, h);
}

static void bml_mcmc__fft_inverse(double *BML_MCMC_RESTRICT re, double *BML_MCMC_RESTRICT im,
                                  const double *BML_MCMC_RESTRICT wr, const double *BML_MCMC_RESTRICT wi, size_t n) {
    size_t h = n / 2;
    if (n < 2) return;
    bml_mcmc__fft_inverse(re, im, wr, wi, h);
    bml_mcmc__fft_inverse(re + h, im + h, wr, wi, h);
    for (size_t j = 0; j < h; j++) {
        double dr = re[j + h] * wr[h + j] + im[j + h] * wi[h + j];
        double di = im[j + h] * wr[h + j] - re[j + h] * wi[h + j];
        re[j + h] = re[j] - dr;
        im[j + h] = im[j] - di;
        re[j] += dr;
        im[j] += di;
    }
}

enum { BML_MCMC__COLUMNS = 8 }; /* parameters gathered at once: a cache line of the chain */

typedef struct bml_mcmc__spectrum {
    size_t n;                     /* transform length, at least 1.5
                                     n_steps: lags to n_steps/2 are free of wrap-around */
    double *wr, *wi, *re, *im;    /* [n] each */
    double *column;               /* [BML_MCMC__COLUMNS][2][n_steps] two walkers */
    double *power;                /* [BML_MCMC__COLUMNS][n] summed over walkers */
    int stuck[BML_MCMC__COLUMNS]; /* walkers that never moved */
} bml_mcmc__spectrum;

static void bml_mcmc__spectrum_free(bml_mcmc__spectrum *s) {
    BML_MCMC_FREE(s->wr);
    BML_MCMC_FREE(s->wi);
    BML_MCMC_FREE(s->re);
    BML_MCMC_FREE(s->im);
    BML_MCMC_FREE(s->column);
    BML_MCMC_FREE(s->power);
}

static int bml_mcmc__spectrum_init(bml_mcmc__spectrum *s, size_t n_steps) {
    size_t n = 16;
    memset(s, 0, sizeof *s);
    while (n < n_steps + n_steps / 2)
        n *= 2;
    s->n = n;
    if (!(s->wr = bml_mcmc__doubles(n, 1)) || !(s->wi = bml_mcmc__doubles(n, 1)) ||
        !(s->re = bml_mcmc__doubles(n, 1)) || !(s->im = bml_mcmc__doubles(n, 1)) ||
        !(s->column = bml_mcmc__doubles(n_steps, 2 * BML_MCMC__COLUMNS)) ||
        !(s->power = bml_mcmc__doubles(n, BML_MCMC__COLUMNS)))
        return BML_MCMC_NO_MEMORY;
    for (size_t h = 1; h < n; h *= 2)
        for (size_t j = 0; j < h; j++) {
            double angle = -3.141592653589793 * (double)j / (double)h;
            s->wr[h + j] = cos(angle);
            s->wi[h + j] = sin(angle);
        }
    return BML_MCMC_OK;
}

/* x[n] with its mean removed and sum of squares 1 goes to y[n]; 0 (and y = 0) when it is constant. */
static int bml_mcmc__normalise(double *y, const double *x, size_t n) {
    double mean = 0;
    double sum2 = 0;
    for (size_t i = 0; i < n; i++)
        mean += (x[i] - x[0]) / (double)n;
    mean += x[0];
    for (size_t i = 0; i < n; i++)
        sum2 += (x[i] - mean) * (x[i] - mean);
    double scale = sum2 > 1e-26 * mean * mean * (double)n && sum2 < DBL_MAX ? 1 / sqrt(sum2) : 0;
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * scale;
    return scale > 0;
}

/* Adds walkers w and w+1 (if there is one) of parameters k0..k0+nk-1 to the spectra. */
static void bml_mcmc__spectrum_add(bml_mcmc__spectrum *s, const bml_mcmc_chain *c, int w, int k0, int nk) {
    size_t n = c->n_steps;
    size_t stride = (size_t)c->n_walkers * (size_t)c->n_dim;
    int pair = w + 1 < c->n_walkers;
    for (size_t t = 0; t < n; t++)
        for (int p = 0; p <= pair; p++)
            for (int k = 0; k < nk; k++)
                s->column[(size_t)(2 * k + p) * n + t] = c->theta[t * stride + (size_t)((w + p) * c->n_dim + k0 + k)];
    for (int k = 0; k < nk; k++) {
        double *power = s->power + (size_t)k * s->n;
        memset(s->re, 0, sizeof(double) * s->n);
        memset(s->im, 0, sizeof(double) * s->n);
        s->stuck[k] += !bml_mcmc__normalise(s->re, s->column + (size_t)(2 * k) * n, n);
        if (pair) s->stuck[k] += !bml_mcmc__normalise(s->im, s->column + (size_t)(2 * k + 1) * n, n);
        bml_mcmc__fft_forward(s->re, s->im, s->wr, s->wi, s->n);
        for (size_t t = 0; t < s->n; t++)
            power[t] += s->re[t] * s->re[t] + s->im[t] * s->im[t];
    }
}

/* tau of column k once all walkers are in: Sokal's window over lags to n_steps/2. */
static double bml_mcmc__spectrum_tau(bml_mcmc__spectrum *s, int k, size_t n_steps, int n_walkers) {
    double tau = 1;
    memcpy(s->re, s->power + (size_t)k * s->n, sizeof(double) * s->n);
    memset(s->im, 0, sizeof(double) * s->n);
    bml_mcmc__fft_inverse(s->re, s->im, s->wr, s->wi, s->n);
    for (size_t t = 1; t <= n_steps / 2 && (double)(t - 1) < 5 * tau; t++)
        tau += 2 * (s->re[t] / (double)s->n + s->stuck[k] * (1 - (double)t / (double)n_steps)) / n_walkers;
    return tau;
}

static int bml_mcmc__check_chain(const bml_mcmc_chain *c) {
    if (!c->theta || c->n_steps < 8 || c->n_walkers < 1 || c->n_dim < 1) return BML_MCMC_BAD_ARGUMENT;
    size_t n;
    if (!bml_mcmc__mul(&n, c->n_steps, (size_t)c->n_walkers, (size_t)c->n_dim)) return BML_MCMC_TOO_LARGE;
    for (size_t i = 0; i < n; i++)
        if (!(fabs(c->theta[i]) <= DBL_MAX)) return BML_MCMC_BAD_ARGUMENT;
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_autocorrelation(double *tau, bml_mcmc_chain chain) {
    int status = tau ? bml_mcmc__check_chain(&chain) : BML_MCMC_BAD_ARGUMENT;
    if (status) return status;
    bml_mcmc__spectrum s;
    status = bml_mcmc__spectrum_init(&s, chain.n_steps);
    for (int k0 = 0; k0 < chain.n_dim && status != BML_MCMC_NO_MEMORY; k0 += BML_MCMC__COLUMNS) {
        int nk = chain.n_dim - k0 < BML_MCMC__COLUMNS ? chain.n_dim - k0 : BML_MCMC__COLUMNS;
        memset(s.power, 0, sizeof(double) * s.n * BML_MCMC__COLUMNS);
        memset(s.stuck, 0, sizeof s.stuck);
        for (int w = 0; w < chain.n_walkers; w += 2)
            bml_mcmc__spectrum_add(&s, &chain, w, k0, nk);
        for (int k = 0; k < nk; k++) {
            tau[k0 + k] = bml_mcmc__spectrum_tau(&s, k, chain.n_steps, chain.n_walkers);
            if (!((double)chain.n_steps >= 50 * tau[k0 + k])) status = BML_MCMC_NOT_CONVERGED;
        }
    }
    bml_mcmc__spectrum_free(&s);
    return status;
}

/* a[n] partly sorted so that a[k] is the k-th smallest and nothing after it is smaller (Hoare 1961). */
static void bml_mcmc__select(double *a, size_t n, size_t k) {
    size_t lo = 0;
    size_t hi = n - 1;
    while (lo < hi) {
        double pivot = a[lo + (hi - lo) / 2];
        size_t i = lo;
        size_t j = hi;
        for (;;) {
            while (a[i] < pivot)
                i++;
            while (pivot < a[j])
                j--;
            if (i >= j) break;
            double swap = a[i];
            a[i] = a[j];
            a[j] = swap;
            i++;
            j--;
        }
        if (k <= j)
            hi = j;
        else
            lo = j + 1;
    }
}

BML_MCMC_DEF double bml_mcmc_quantile(double *values, size_t n, double q) {
    double high;
    if (!values || n == 0 || !(q >= 0 && q <= 1)) return BML_MCMC__NAN;
    double at = q * (double)(n - 1);
    size_t k = (size_t)at;
    bml_mcmc__select(values, n, k);
    double low = high = values[k];
    for (size_t i = k + 1; i < n; i++)
        if (i == k + 1 || values[i] < high) high = values[i];
    return low + (at - (double)k) * (high - low);
}

/* Split R-hat of x[n_walkers][n_steps]; infinite when every half-chain is constant at another value. */
static double bml_mcmc__rhat(const double *x, size_t n_steps, int n_walkers) {
    size_t half = n_steps / 2;
    double within = 0;
    double grand = 0;
    double between = 0;
    double n = (double)half;
    double m = 2.0 * n_walkers;
    for (int pass = 0; pass < 2; pass++)
        for (int c = 0; c < 2 * n_walkers; c++) { /* the middle step of an odd number is left out */
            const double *y = x + (size_t)(c / 2) * n_steps + (c % 2 ? n_steps - half : 0);
            double mean = 0;
            double sum2 = 0;
            for (size_t t = 0; t < half; t++)
                mean += (y[t] - x[0]) / n;
            if (pass == 0) {
                for (size_t t = 0; t < half; t++)
                    sum2 += (y[t] - x[0] - mean) * (y[t] - x[0] - mean);
                grand += mean / m;
                within += sum2 / (n - 1) / m;
            } else
                between += n * (mean - grand) * (mean - grand) / (m - 1);
        }
    return sqrt(((n - 1) / n * within + between / n) / within);
}

/* column[n_walkers][n_steps] of parameter k: quantiles, moments and R-hat. Reorders column last. */
static void bml_mcmc__summarize_column(bml_mcmc_summary *out, double *column, const bml_mcmc_chain *c, int k) {
    size_t n = c->n_steps;
    size_t W = (size_t)c->n_walkers;
    double total = (double)(n * W);
    double sum2 = 0;
    for (size_t t = 0; t < n; t++)
        for (size_t w = 0; w < W; w++)
            column[w * n + t] = c->theta[(t * W + w) * (size_t)c->n_dim + (size_t)k];
    out->mean = 0;
    for (size_t i = 0; i < n * W; i++)
        out->mean += (column[i] - column[0]) / total;
    out->mean += column[0];
    for (size_t i = 0; i < n * W; i++)
        sum2 += (column[i] - out->mean) * (column[i] - out->mean);
    out->sd = sqrt(sum2 / (total - 1));
    out->rhat = bml_mcmc__rhat(column, n, c->n_walkers);
    out->median = bml_mcmc_quantile(column, n * W, 0.5);
    out->minus = out->median - bml_mcmc_quantile(column, n * W, 0.15865525393145705); /* Phi(-1) */
    out->plus = bml_mcmc_quantile(column, n * W, 0.8413447460685429) - out->median;
}

BML_MCMC_DEF int bml_mcmc_summarize(bml_mcmc_summary *out, bml_mcmc_chain chain) {
    int status = out ? bml_mcmc__check_chain(&chain) : BML_MCMC_BAD_ARGUMENT;
    if (status) return status;
    double *tau = bml_mcmc__doubles((size_t)chain.n_dim, 1);
    double *column = bml_mcmc__doubles(chain.n_steps, (size_t)chain.n_walkers);
    status = tau && column ? bml_mcmc_autocorrelation(tau, chain) : BML_MCMC_NO_MEMORY;
    for (int k = 0; k < chain.n_dim && status != BML_MCMC_NO_MEMORY; k++) {
        bml_mcmc__summarize_column(out + k, column, &chain, k);
        out[k].tau = tau[k];
        out[k].ess = (double)chain.n_steps * chain.n_walkers / tau[k];
        if (!(out[k].rhat <= 1.1)) status = BML_MCMC_NOT_CONVERGED;
    }
    BML_MCMC_FREE(tau);
    BML_MCMC_FREE(column);
    return status;
}

BML_MCMC_DEF int bml_mcmc_ensemble_summary(bml_mcmc_ensemble *e, bml_mcmc_summary *out, size_t burn) {
    bml_mcmc_chain chain = bml_mcmc_ensemble_chain(e);
    double worst_tau = 0;
    double worst_rhat = 0;
    if (!e) return BML_MCMC_BAD_ARGUMENT;
    chain = bml_mcmc_chain_drop(chain, burn / (size_t)e->config.thin);
    int status = bml_mcmc_summarize(out, chain);
    if (status != BML_MCMC_OK && status != BML_MCMC_NOT_CONVERGED)
        return bml_mcmc__fail(e->message, status, "summary of %llu stored steps (8 are needed)",
                              (unsigned long long)chain.n_steps);
    for (int k = 0; k < chain.n_dim; k++) {
        out[k].tau *= e->config.thin;
        worst_tau = out[k].tau > worst_tau ? out[k].tau : worst_tau;
        worst_rhat = out[k].rhat > worst_rhat ? out[k].rhat : worst_rhat;
    }
    e->message[0] = 0;
    if (status)
        bml_mcmc__fail(e->message, status,
                       "%llu steps, longest tau %.4g (50 of them are needed), largest R-hat %.4g (1.1 is allowed)",
                       (unsigned long long)chain.n_steps * (unsigned long long)e->config.thin, worst_tau, worst_rhat);
    return status;
}

/* >> calibration */

/* Upper regularised incomplete gamma function Q(a, x): series of the lower one below x = a + 1, continued fraction
   above (Abramowitz & Stegun 6.5.29, 6.5.31; the fraction evaluated by Lentz's method). */
static double bml_mcmc__gamma_q(double a, double x) {
    double front = exp(a * log(x) - x - lgamma(a));
    double sum = 1 / a;
    double term = sum;
    double b = x + 1 - a;
    double c = 1 / DBL_MIN;
    double d = 1 / b;
    double h = d;
    if (x < a + 1) {
        for (int i = 1; i < 10000 && term > 1e-16 * sum; i++)
            sum += (term *= x / (a + i));
        return 1 - front * sum;
    }
    for (int i = 1; i < 10000; i++) {
        double an = -i * (i - a);
        b += 2;
        d = an * d + b;
        c = b + an / c;
        d = 1 / (fabs(d) < DBL_MIN ? DBL_MIN : d);
        c = fabs(c) < DBL_MIN ? DBL_MIN : c;
        double factor;
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
    int status = ranks && truth ? bml_mcmc__check_chain(&chain) : BML_MCMC_BAD_ARGUMENT;
    if (status) return status;
    if (n_draws < 1 || (size_t)n_draws > rows) return BML_MCMC_BAD_ARGUMENT;
    for (int k = 0; k < chain.n_dim; k++)
        ranks[k] = 0;
    for (int i = 0; i < n_draws; i++) { /* evenly over steps; the walker changes from one to the next */
        size_t row = (size_t)(((double)i + 0.5) / n_draws * (double)chain.n_steps) * (size_t)chain.n_walkers +
                     (size_t)(i % chain.n_walkers);
        for (int k = 0; k < chain.n_dim; k++)
            ranks[k] += chain.theta[row * (size_t)chain.n_dim + (size_t)k] < truth[k];
    }
    return BML_MCMC_OK;
}

BML_MCMC_DEF double bml_mcmc_sbc_p_value(const int *ranks, int n, int n_draws, int n_bins) {
    double chi2 = 0;
    if (!ranks || n < 1 || n_draws < 1 || n_bins < 2 || n_bins > n_draws + 1) return BML_MCMC__NAN;
    for (int i = 0; i < n; i++)
        if (ranks[i] < 0 || ranks[i] > n_draws) return BML_MCMC__NAN;
    /* bin b holds ranks first..next-1; when n_bins does not divide, bins differ by one rank */
    for (int b = 0; b < n_bins; b++) {
        int first = (int)((double)b * (n_draws + 1) / n_bins);
        int next = (int)((double)(b + 1) * (n_draws + 1) / n_bins);
        int count = 0;
        double expected = (double)n * (next - first) / (n_draws + 1);
        for (int i = 0; i < n; i++)
            count += ranks[i] >= first && ranks[i] < next;
        chi2 += (count - expected) * (count - expected) / expected;
    }
    return bml_mcmc_chi2_survival(chi2, n_bins - 1);
}

BML_MCMC_DEF int bml_mcmc_coverage(double *fraction, double *sd, const int *ranks, int n, int n_draws, double level) {
    double inside = 0;
    if (!fraction || !sd || !ranks || n < 1 || n_draws < 1 || !(level > 0 && level < 1)) return BML_MCMC_BAD_ARGUMENT;
    /* rank r stands for the interval (r, r+1)/(n_draws + 1) of the posterior; edges count in part */
    for (int i = 0; i < n; i++) {
        double lo = ((double)ranks[i]) / (n_draws + 1);
        double hi = (ranks[i] + 1.0) / (n_draws + 1);
        double a = 0.5 - 0.5 * level;
        double b = 0.5 + 0.5 * level;
        if (ranks[i] < 0 || ranks[i] > n_draws) return BML_MCMC_BAD_ARGUMENT;
        lo = lo < a ? a : lo;
        hi = hi > b ? b : hi;
        if (hi > lo) inside += (hi - lo) * (n_draws + 1);
    }
    *fraction = inside / n;
    *sd = sqrt(level * (1 - level) / n);
    return BML_MCMC_OK;
}

/* >> priors
   Every base density b has three functions of an interval [lo, hi] inside its limits: its mass there, the fraction of
   that mass below x, and the x below which a fraction u lies. Conditional and joint priors are both made of them. */

enum { BML_MCMC__NODES = 33, BML_MCMC__MAX_JOINT = 4 };

struct bml_mcmc_prior {
    int n_dim;
    int first_joint;                      /* n_dim when there is none */
    double log_z;                         /* log of the mass of the joint part, M of its first parameter */
    double first_weight[BML_MCMC__NODES]; /* M of what follows, over the first joint parameter */
    bml_mcmc_prior_param *param;          /* [n_dim] x and density point into table */
    double **table;                       /* [n_dim] NULL or [3][n]: x, normalised density, cumulative */
    char message[BML_MCMC_MESSAGE];
};

/* Piecewise linear density w at nodes x: the integral up to `at` within interval i. */
static double bml_mcmc__linear_part(const double *x, const double *w, int i, double at) {
    double t = at - x[i];
    double slope = (w[i + 1] - w[i]) / (x[i + 1] - x[i]);
    return t * (w[i] + 0.5 * slope * t);
}

/* Where the integral within interval i reaches `part`: w t + slope
   t^2/2 = part, in the form that has no cancellation. */
static double bml_mcmc__linear_solve(const double *x, const double *w, int i, double part) {
    double h = x[i + 1] - x[i];
    double slope = (w[i + 1] - w[i]) / h;
    double root = w[i] * w[i] + 2 * slope * part;
    double sum = w[i] + sqrt(root > 0 ? root : 0);
    double t = sum > 0 ? 2 * part / sum : 0;
    return x[i] + (t < 0 ? 0 : t > h ? h : t);
}

/* The interval of the increasing x[n] that holds `at`: 0..n-2. */
static int bml_mcmc__interval(const double *x, int n, double at) {
    int lo = 0;
    int hi = n - 1;
    while (hi - lo > 1) {
        int mid = (lo + hi) / 2;
        if (x[mid] <= at)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static double bml_mcmc__table_cdf(const bml_mcmc_prior_param *p, const double *cumulative, double x) {
    int i = bml_mcmc__interval(p->x, p->n, x);
    return cumulative[i] + bml_mcmc__linear_part(p->x, p->density, i, x);
}

static double bml_mcmc__phi(double z) {
    return 0.5 * erfc(-0.7071067811865476 * z);
}

/* z with Phi(z) = p: Abramowitz & Stegun 26.2.23 (error < 4.5e-4), then Halley's iteration on erfc. */
static double bml_mcmc__phi_inverse(double p) {
    if (p > 0.5) return -bml_mcmc__phi_inverse(1 - p);
    if (!(p > DBL_MIN)) return -38; /* Phi(-38) = 2.9e-316 */
    double t = sqrt(-2 * log(p));
    double z = -(t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))));
    for (int i = 0; i < 3; i++) {
        double step = (bml_mcmc__phi(z) - p) * 2.5066282746310002 * exp(0.5 * z * z);
        z -= step / (1 + 0.5 * z * step);
    }
    return z;
}

/* [*a, *b] = the interval in units of sd, mirrored if need be so that it is in the lower tail, where erfc is exact. */
static int bml_mcmc__normal_interval(const bml_mcmc_prior_param *p, double lo, double hi, double *a, double *b) {
    double zl = (lo - p->mean) / p->sd;
    double zh = (hi - p->mean) / p->sd;
    int mirror = zl > 0;
    *a = mirror ? -zh : zl;
    *b = mirror ? -zl : zh;
    return mirror;
}

static double bml_mcmc__base_mass(const bml_mcmc_prior *prior, int i, double lo, double hi) {
    const bml_mcmc_prior_param *p = &prior->param[i];
    const double *cumulative = prior->table[i] ? prior->table[i] + 2 * p->n : NULL;
    if (!(hi > lo)) return 0;
    double a;
    double b;
    double all;
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
    double a;
    double b;
    double x = lo;
    double low;
    double *cumulative;
    int mirror;
    int k;
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
    /* small masses are exact, differences not */
    if (prior->param[i].kind == BML_MCMC_NORMAL && x > prior->param[i].mean)
        u = 1 - bml_mcmc__base_mass(prior, i, x, hi) / bml_mcmc__base_mass(prior, i, lo, hi);
    else
        u = bml_mcmc__base_mass(prior, i, lo, x) / bml_mcmc__base_mass(prior, i, lo, hi);
    return u < 0 ? 0 : u > 1 ? 1 : u;
}

static double bml_mcmc__base_log_density(const bml_mcmc_prior *prior, int i, double x) {
    const bml_mcmc_prior_param *p = &prior->param[i];
    double a;
    double b;
    double z;
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
    *lo = p->lower;
    *hi = p->upper;
    if (p->bounds) p->bounds(lo, hi, theta, i, p->user);
    if (!(*lo >= p->lower)) *lo = p->lower; /* bounds narrow, they do not widen */
    if (!(*hi <= p->upper)) *hi = p->upper;
    return *hi > *lo;
}

static double bml_mcmc__joint_mass(const bml_mcmc_prior *prior, int i, double *theta);

/* weight[g] = M of the parameters after i, with parameter i at the fraction g/(nodes-1) of its mass in [lo, hi];
   returns the mean over that fraction. theta[0..i-1] given, the rest is scratch. */
static double bml_mcmc__joint_nodes(const bml_mcmc_prior *prior, int i, double lo, double hi, double *theta,
                                    double *weight) {
    double sum = 0;
    for (int g = 0; g < BML_MCMC__NODES; g++) {
        theta[i] = bml_mcmc__base_x(prior, i, lo, hi, (double)g / (BML_MCMC__NODES - 1));
        weight[g] = bml_mcmc__joint_mass(prior, i + 1, theta);
        sum += weight[g] * (g == 0 || g == BML_MCMC__NODES - 1 ? 0.5 : 1);
    }
    return sum / (BML_MCMC__NODES - 1);
}

/* M_i: the base mass of parameters i.. inside their bounds, given theta[0..i-1]. */
static double bml_mcmc__joint_mass(const bml_mcmc_prior *prior, int i, double *theta) {
    double lo;
    double hi;
    double weight[BML_MCMC__NODES];
    double mass = 1;
    for (; i < prior->n_dim; i++) { /* nothing depends on a parameter that is not joint: its mass is a factor */
        if (!bml_mcmc__limits(prior, i, theta, &lo, &hi)) return 0;
        mass *= bml_mcmc__base_mass(prior, i, lo, hi);
        if (prior->param[i].joint) return mass * bml_mcmc__joint_nodes(prior, i, lo, hi, theta, weight);
    }
    return mass;
}

/* The weights of joint parameter i, from the cache or anew. */
static void bml_mcmc__joint_weights(const bml_mcmc_prior *prior, int i, double lo, double hi, const double *theta,
                                    double *weight) {
    double scratch[BML_MCMC__MAX_PRIOR];
    if (i == prior->first_joint) {
        memcpy(weight, prior->first_weight, sizeof prior->first_weight);
        return;
    }
    memcpy(scratch, theta, sizeof(double) * (size_t)i);
    bml_mcmc__joint_nodes(prior, i, lo, hi, scratch, weight);
}

/* u -> v, where v has the piecewise linear density `weight` on [0,1]
   (inverse = 0), or back. Returns -1 without mass. */
static double bml_mcmc__reweight(const double *weight, double u, int inverse) {
    double node[BML_MCMC__NODES];
    double cumulative[BML_MCMC__NODES];
    node[0] = cumulative[0] = 0;
    int g;
    for (g = 1; g < BML_MCMC__NODES; g++) {
        node[g] = (double)g / (BML_MCMC__NODES - 1);
        cumulative[g] = cumulative[g - 1] + 0.5 * (weight[g] + weight[g - 1]) * (node[g] - node[g - 1]);
    }
    double total = cumulative[BML_MCMC__NODES - 1];
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
    if (!prior || !theta) return BML_MCMC__NAN;
    double sum = prior->first_joint < prior->n_dim ? -prior->log_z : 0;
    double lo;
    double hi;
    for (int i = 0; i < prior->n_dim; i++) {
        if (!bml_mcmc__limits(prior, i, theta, &lo, &hi) || !(theta[i] >= lo && theta[i] <= hi)) return -BML_MCMC__INF;
        sum += bml_mcmc__base_log_density(prior, i, theta[i]);
        if (i < prior->first_joint && prior->param[i].bounds) sum -= log(bml_mcmc__base_mass(prior, i, lo, hi));
    }
    return sum;
}

BML_MCMC_DEF int bml_mcmc_prior_transform(const bml_mcmc_prior *prior, double *theta, const double *cube) {
    double weight[BML_MCMC__NODES];
    if (!prior || !theta || !cube) return BML_MCMC_BAD_ARGUMENT;
    double lo;
    double hi;
    for (int i = 0; i < prior->n_dim; i++) {
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
    double weight[BML_MCMC__NODES];
    if (!prior || !theta || !cube) return BML_MCMC_BAD_ARGUMENT;
    double lo;
    double hi;
    for (int i = 0; i < prior->n_dim; i++) {
        if (!bml_mcmc__limits(prior, i, theta, &lo, &hi) || !(theta[i] >= lo && theta[i] <= hi))
            return BML_MCMC_BAD_ARGUMENT;
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
    int n = p->n;
    if (!p->x || !p->density || n < 2)
        return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT,
                              "parameter %d: a table needs x, density and n >= 2", i);
    double *x;
    if (!(x = prior->table[i] = bml_mcmc__doubles((size_t)n, 3)))
        return bml_mcmc__fail(prior->message, BML_MCMC_NO_MEMORY, "table");
    double *w = x + n;
    double *c = w + n;
    for (int k = 0; k < n; k++) {
        x[k] = p->x[k];
        w[k] = p->density[k];
        if (!(fabs(x[k]) <= DBL_MAX && w[k] >= 0 && w[k] <= DBL_MAX) || (k && !(x[k] > x[k - 1])))
            return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT,
                                  "parameter %d: row %d of its table: x must increase, density be finite and not "
                                  "negative",
                                  i, k);
        if (k) c[k] = c[k - 1] + 0.5 * (w[k] + w[k - 1]) * (x[k] - x[k - 1]);
    }
    p->x = x;
    p->density = w;
    if (p->lower == 0 && p->upper == 0) {
        p->lower = x[0];
        p->upper = x[n - 1];
    }
    if (!(p->lower >= x[0] && p->upper <= x[n - 1] && p->lower < p->upper))
        return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT, "parameter %d: limits outside its table", i);
    { /* normalised within the limits */
        double total = bml_mcmc__table_cdf(p, c, p->upper) - bml_mcmc__table_cdf(p, c, p->lower);
        if (!(total > 0 && total <= DBL_MAX))
            return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT, "parameter %d: its table holds no mass", i);
        for (int k = 0; k < n; k++) {
            w[k] /= total;
            c[k] /= total;
        }
    }
    return BML_MCMC_OK;
}

static int bml_mcmc__prior_param_check(bml_mcmc_prior *prior, int i) {
    bml_mcmc_prior_param *p = &prior->param[i];
    const char *wrong = NULL;
    if (p->kind < BML_MCMC_UNIFORM || p->kind > BML_MCMC_TABLE)
        wrong = "there is no such kind";
    else if (p->lower != p->lower || p->upper != p->upper)
        wrong = "a limit is NaN";
    else if (p->kind == BML_MCMC_TABLE)
        return bml_mcmc__prior_table(prior, i);
    else if (p->kind == BML_MCMC_NORMAL) {
        if (p->lower == 0 && p->upper == 0) {
            p->lower = -BML_MCMC__INF;
            p->upper = BML_MCMC__INF;
        }
        if (!(fabs(p->mean) <= DBL_MAX && p->sd > 0 && p->sd <= DBL_MAX))
            wrong = "mean must be finite, sd positive";
        else {
            double a;
            double b;
            bml_mcmc__normal_interval(p, p->lower, p->upper, &a, &b);
            if (!(bml_mcmc__phi(b) - bml_mcmc__phi(a) > 1e-290))
                wrong = "its limits leave no mass (lower < upper, within 36 sd)";
        }
    } else if (!(p->upper > p->lower && p->upper - p->lower <= DBL_MAX))
        wrong = "lower < upper, both finite, are needed";
    else if (p->kind == BML_MCMC_LOG_UNIFORM && !(p->lower > 0))
        wrong = "a log-uniform prior needs lower > 0";
    if (wrong) return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT, "parameter %d: %s", i, wrong);
    return BML_MCMC_OK;
}

/* Finds the joint parameters and the mass of their region. */
static int bml_mcmc__prior_joint(bml_mcmc_prior *prior) {
    int joint = 0;
    double scratch[BML_MCMC__MAX_PRIOR];
    for (int i = 0; i < prior->n_dim; i++) {
        if (prior->param[i].joint && !joint++) prior->first_joint = i;
    }
    int f = prior->first_joint;
    if (!joint) return BML_MCMC_OK;
    if (joint > BML_MCMC__MAX_JOINT)
        return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT, "%d joint parameters, %d are possible", joint,
                              BML_MCMC__MAX_JOINT);
    if (prior->param[f].bounds)
        return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT,
                              "parameter %d: the first joint parameter cannot have a bounds callback", f);
    memset(scratch, 0, sizeof scratch);
    double lo;
    double hi;
    bml_mcmc__limits(prior, f, scratch, &lo, &hi);
    double mass = bml_mcmc__joint_nodes(prior, f, lo, hi, scratch, prior->first_weight);
    if (!(mass > 0)) return bml_mcmc__fail(prior->message, BML_MCMC_EMPTY_BOUNDS, "the bounds leave no room anywhere");
    prior->log_z = log(mass);
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_prior_create(bml_mcmc_prior **prior, const bml_mcmc_prior_param *params, int n_dim,
                                       char *why) {
    if (why) why[0] = 0;
    if (!prior) return bml_mcmc__refuse(why, BML_MCMC_BAD_ARGUMENT, "there is no place for the prior");
    *prior = NULL;
    if (!params) return bml_mcmc__refuse(why, BML_MCMC_BAD_ARGUMENT, "params is missing");
    bml_mcmc_prior *p = (bml_mcmc_prior *)bml_mcmc__alloc(1, 1, sizeof *p);
    if (!p) return bml_mcmc__refuse(why, BML_MCMC_NO_MEMORY, NULL);
    int status = BML_MCMC_OK;
    if (n_dim < 1 || n_dim > BML_MCMC__MAX_PRIOR)
        status = bml_mcmc__fail(p->message, BML_MCMC_BAD_ARGUMENT, "n_dim = %d: must be in [1, %d]", n_dim,
                                BML_MCMC__MAX_PRIOR);
    if (!status) {
        p->n_dim = p->first_joint = n_dim;
        p->param = (bml_mcmc_prior_param *)bml_mcmc__alloc((size_t)n_dim, 1, sizeof *p->param);
        p->table = (double **)bml_mcmc__alloc((size_t)n_dim, 1, sizeof *p->table);
        if (!p->param || !p->table) status = BML_MCMC_NO_MEMORY;
    }
    if (!status) memcpy(p->param, params, sizeof *params * (size_t)n_dim);
    for (int i = 0; !status && i < n_dim; i++)
        status = bml_mcmc__prior_param_check(p, i);
    if (!status) status = bml_mcmc__prior_joint(p);
    if (!status) {
        *prior = p;
        return BML_MCMC_OK;
    }
    bml_mcmc__refuse(why, status, p->message);
    bml_mcmc_prior_free(p);
    return status;
}

BML_MCMC_DEF void bml_mcmc_prior_free(bml_mcmc_prior *prior) {
    if (!prior) return;
    for (int i = 0; prior->table && i < prior->n_dim; i++)
        BML_MCMC_FREE(prior->table[i]);
    BML_MCMC_FREE(prior->table);
    BML_MCMC_FREE(prior->param);
    BML_MCMC_FREE(prior);
}

static int bml_mcmc__prior_dim(const bml_mcmc_prior *prior) {
    return prior->n_dim;
}

/* >> nested sampling: points
   A point is one row: its place in the cube, its parameters, and the five numbers below. The threshold above which it
   was drawn, its birth, says when it was live; everything that is known about volumes follows from births and
   likelihoods, so that static and dynamic runs, plateaus and rounds of any size need no accounting of their own.
   A likelihood of -infinity is kept as -DBL_MAX, which is above -INFINITY, the birth of draws from the whole prior. */

enum { BML_MCMC__LOG_L, BML_MCMC__BIRTH, BML_MCMC__TIE, BML_MCMC__RANK, BML_MCMC__LIVE, BML_MCMC__EXTRA };
enum { BML_MCMC__MAX_SWEEPS = 32, BML_MCMC__JUMPS = 500, BML_MCMC__SHRINKS = 200, BML_MCMC__PARTS = 64 };

#define BML_MCMC__SIMULATIONS 200

typedef struct bml_mcmc__key { /* sorts points: by likelihood, then by chance */
    double log_l, tie;
    size_t index;
} bml_mcmc__key;

/* What a saved state holds beside the points: words of 8 bytes each. */
typedef struct bml_mcmc__nested_state {
    uint64_t round, evaluations, slice_evaluations, pass, pass_over, method, sweeps, jumps, slice_chains, slice_calls,
        n_points;
    double threshold;    /* above which the live points of this pass are uniform */
    double low, high;    /* this pass runs from here to there */
    double log_x, log_z; /* of the first pass, by expectation */
    double information, remaining, efficiency, correlation, probes, probe_hits;
} bml_mcmc__nested_state;

/* The region: where points above a threshold may be, from those that are known. Coordinates x are the cube's, wrapped
   ones shifted by cut. */
typedef struct bml_mcmc__region {
    int n, d, n_clusters, capacity, clusters_capacity, shape; /* shape: what is drawn from: cube, ellipsoids, balls */
    size_t *index;                                            /* [n] the points */
    double *x, *y;             /* [n][d] place; A x, in which clusters have unit covariance */
    int *label, *part, *queue; /* [n] cluster; what gaps tell apart; scratch */
    double *cut, *L, *A;       /* [d]; pooled covariance L L^T, A = 1/L [d][d] */
    double radius;             /* of the balls, in y */
    double *mean, *EL, *EA;    /* [n_clusters][d]; x = mean + EL z, |z| <= 1 is ellipsoid c; [..][d][d] */
    double *spread, *weight;   /* [n_clusters] radius in sd; share of the volume */
    double *scratch;           /* [4][d] */
} bml_mcmc__region;

struct bml_mcmc_nested {
    bml_mcmc_nested_config config;
    bml_mcmc__nested_state now;
    double *point; /* [capacity][2 d + EXTRA] */
    double *jump;  /* [d + 1] squared moves of new points from their start, summed */
    size_t capacity;
    size_t fresh;         /* points of the round under way, after now.n_points */
    bml_mcmc__key *order; /* [order_capacity] */
    size_t n_live, order_capacity;
    double *trial_cube, *trial_theta, *trial_log_l; /* [trials][d] [trials][d] [trials] */
    size_t trials;
    bml_mcmc__region region;
    bml_mcmc_nested_progress report; /* of the last whole round */
    double *sorted;                  /* result: [n][d + 3] theta, log L, weight; scratch */
    size_t sorted_n;
    double *other; /* [sorted_n] log L that the result is to be weighed by; NULL: the run's own */
    char message[BML_MCMC_MESSAGE];
};

static double *bml_mcmc__point(const bml_mcmc_nested *s, size_t i) {
    return s->point + i * (size_t)(2 * s->config.n_dim + BML_MCMC__EXTRA);
}
static double bml_mcmc__value(const bml_mcmc_nested *s, size_t i, int which) {
    return bml_mcmc__point(s, i)[2 * s->config.n_dim + which];
}

static double bml_mcmc__log_add(double a, double b) {
    double top = a > b ? a : b;
    return a == b ? a + 0.6931471805599453 : top + log1p(exp(-fabs(a - b)));
}

static int bml_mcmc__compare_keys(const void *a, const void *b) {
    const bml_mcmc__key *x = (const bml_mcmc__key *)a;
    const bml_mcmc__key *y = (const bml_mcmc__key *)b;
    if (x->log_l != y->log_l) return x->log_l < y->log_l ? -1 : 1;
    if (x->tie != y->tie) return x->tie < y->tie ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static int bml_mcmc__compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* s->order becomes the points that are live, or all, from the worst to the best. */
static int bml_mcmc__sort_points(bml_mcmc_nested *s, int all) {
    size_t n = (size_t)s->now.n_points;
    if (n > s->order_capacity) {
        BML_MCMC_FREE(s->order);
        s->order_capacity = 0;
        s->order = (bml_mcmc__key *)bml_mcmc__alloc(n + n / 2, 1, sizeof *s->order);
        if (!s->order) return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "%llu points", (unsigned long long)n);
        s->order_capacity = n + n / 2;
    }
    for (size_t i = s->n_live = 0; i < n; i++) {
        bml_mcmc__key *key = s->order + s->n_live;
        if (!all && bml_mcmc__value(s, i, BML_MCMC__LIVE) == 0) continue;
        key->log_l = bml_mcmc__value(s, i, BML_MCMC__LOG_L);
        key->tie = bml_mcmc__value(s, i, BML_MCMC__TIE);
        key->index = i;
        s->n_live++;
    }
    if (s->n_live) qsort(s->order, s->n_live, sizeof *s->order, bml_mcmc__compare_keys);
    return BML_MCMC_OK;
}

static int bml_mcmc__trials(bml_mcmc_nested *s, size_t n) {
    size_t D = (size_t)s->config.n_dim;
    if (n <= s->trials) return BML_MCMC_OK;
    BML_MCMC_FREE(s->trial_cube);
    BML_MCMC_FREE(s->trial_theta);
    BML_MCMC_FREE(s->trial_log_l);
    s->trial_cube = bml_mcmc__doubles(n, D);
    s->trial_theta = bml_mcmc__doubles(n, D);
    s->trial_log_l = bml_mcmc__doubles(n, 1);
    s->trials = s->trial_cube && s->trial_theta && s->trial_log_l ? n : 0;
    return s->trials ? BML_MCMC_OK
                     : bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "%llu trial points", (unsigned long long)n);
}

/* Parameters and likelihoods of the first n trial points. */
static int bml_mcmc__try(bml_mcmc_nested *s, size_t n) {
    size_t D = (size_t)s->config.n_dim;
    size_t i;
    const bml_mcmc_nested_config *c = &s->config;
    int status = BML_MCMC_OK;
    for (i = 0; i < n * D; i++)
        s->trial_theta[i] = BML_MCMC__NAN; /* what a callback leaves out is found */
    for (i = 0; i < n; i++)
        s->trial_log_l[i] = BML_MCMC__NAN;
    for (i = 0; c->prior && i < n && !status; i++)
        if ((status = bml_mcmc_prior_transform(c->prior, s->trial_theta + i * D, s->trial_cube + i * D)) != BML_MCMC_OK)
            bml_mcmc__fail(s->message, status, "the prior, at cube point");
    if (status) bml_mcmc__append_point(s->message, s->trial_cube + (i - 1) * D, (int)D);
    if (status) return status;
    if (!c->prior && c->transform(s->trial_theta, s->trial_cube, (int)n, (int)D, c->user))
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_TRANSFORM, "transform says that it failed");
    for (i = 0; i < n; i++)
        for (size_t k = 0; k < D; k++)
            if (!(fabs(s->trial_theta[i * D + k]) <= DBL_MAX)) {
                bml_mcmc__fail(s->message, BML_MCMC_BAD_TRANSFORM, "parameter %d is not finite at cube point", (int)k);
                bml_mcmc__append_point(s->message, s->trial_cube + i * D, (int)D);
                return BML_MCMC_BAD_TRANSFORM;
            }
    c->log_likelihood(s->trial_log_l, s->trial_theta, (int)n, (int)D, c->user);
    for (i = 0; i < n && !status; i++) {
        double l = s->trial_log_l[i];
        if (l != l || l > DBL_MAX) {
            status = l != l ? BML_MCMC_NAN : BML_MCMC_INFINITE;
            bml_mcmc__fail(s->message, status, "log-likelihood %s at", l != l ? "NaN" : "+infinity");
            bml_mcmc__append_point(s->message, s->trial_theta + i * D, (int)D);
        }
        if (l < -DBL_MAX) s->trial_log_l[i] = -DBL_MAX;
    }
    s->now.evaluations += n;
    return status;
}

/* Tells the user where things stand; CANCELLED if so answered. */
static int bml_mcmc__nested_report(bml_mcmc_nested *s) {
    s->report.evaluations = s->now.evaluations;
    if (s->config.progress && s->config.progress(&s->report, s->config.progress_user))
        return bml_mcmc__fail(s->message, BML_MCMC_CANCELLED, "after %llu evaluations",
                              (unsigned long long)s->now.evaluations);
    return BML_MCMC_OK;
}

/* Takes a point born above `birth` into the round under way. */
static int bml_mcmc__take(bml_mcmc_nested *s, const double *cube, const double *theta, double log_l, double birth,
                          double tie) {
    size_t D = (size_t)s->config.n_dim;
    size_t at = (size_t)s->now.n_points + s->fresh;
    double *p;
    if (at == s->capacity) {
        size_t capacity = at + at / 2 + 1024;
        size_t bytes;
        if (!bml_mcmc__mul(&bytes, capacity, 2 * D + BML_MCMC__EXTRA, sizeof(double)) ||
            !(p = (double *)BML_MCMC_REALLOC(s->point, bytes)))
            return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "%llu points", (unsigned long long)capacity);
        s->point = p;
        s->capacity = capacity;
    }
    p = bml_mcmc__point(s, at);
    memcpy(p, cube, sizeof(double) * D);
    memcpy(p + D, theta, sizeof(double) * D);
    p += 2 * D;
    p[BML_MCMC__LOG_L] = log_l;
    p[BML_MCMC__BIRTH] = birth;
    p[BML_MCMC__TIE] = tie;
    p[BML_MCMC__RANK] = BML_MCMC__NAN;
    p[BML_MCMC__LIVE] = 1;
    s->fresh++;
    return BML_MCMC_OK;
}

/* >> nested sampling: the region
   Balls of one radius around the points, in coordinates in which clusters have unit covariance (MLFriends: Buchner
   2014, 2019), cut by an ellipsoid around each cluster. Both sizes are the smallest that hold every point when it is
   left out of their making, and a little more: a new point then falls outside with a probability below 1/n. Clusters
   are what the balls' friends-of-friends links leave apart. */

#define BML_MCMC__ROOM 1.25      /* ellipsoids, in radius */
#define BML_MCMC__SLICE_ROOM 1.1 /* further for slices, for which room costs little */
enum { BML_MCMC__CUBE, BML_MCMC__ELLIPSOIDS, BML_MCMC__BALLS };

static void bml_mcmc__region_free(bml_mcmc__region *r) {
    BML_MCMC_FREE(r->index);
    BML_MCMC_FREE(r->x);
    BML_MCMC_FREE(r->y);
    BML_MCMC_FREE(r->label);
    BML_MCMC_FREE(r->part);
    BML_MCMC_FREE(r->queue);
    BML_MCMC_FREE(r->cut);
    BML_MCMC_FREE(r->L);
    BML_MCMC_FREE(r->A);
    BML_MCMC_FREE(r->mean);
    BML_MCMC_FREE(r->EL);
    BML_MCMC_FREE(r->EA);
    BML_MCMC_FREE(r->spread);
    BML_MCMC_FREE(r->weight);
    BML_MCMC_FREE(r->scratch);
    memset(r, 0, sizeof *r);
}

static double bml_mcmc__distance(const double *a, const double *b, int d) {
    double sum = 0;
    for (int k = 0; k < d; k++)
        sum += (a[k] - b[k]) * (a[k] - b[k]);
    return sum;
}

/* Wrapped coordinates are cut open in the middle of the widest gap between points. */
static int bml_mcmc__region_shift(bml_mcmc__region *r, const bml_mcmc_nested *s) {
    int d = r->d;
    double *u = bml_mcmc__doubles((size_t)r->n + 1, 1);
    if (!u) return BML_MCMC_NO_MEMORY;
    for (int k = 0; k < d; k++) {
        double widest = 0;
        r->cut[k] = 0;
        for (int i = 0; i < r->n; i++)
            u[i] = r->x[i * d + k] = bml_mcmc__point(s, r->index[i])[k];
        if (!s->config.wrapped || !s->config.wrapped[k]) continue;
        qsort(u, (size_t)r->n, sizeof *u, bml_mcmc__compare_doubles);
        u[r->n] = u[0] + 1;
        for (int i = 0; i < r->n; i++)
            if (u[i + 1] - u[i] > widest) {
                widest = u[i + 1] - u[i];
                r->cut[k] = 0.5 * (u[i + 1] + u[i]);
            }
        r->cut[k] -= floor(r->cut[k]);
        for (int i = 0; i < r->n; i++)
            r->x[i * d + k] -= r->cut[k] - (r->x[i * d + k] < r->cut[k]);
    }
    BML_MCMC_FREE(u);
    return BML_MCMC_OK;
}

/* The cube's coordinates of x, which may have been wrapped. */
static void bml_mcmc__region_cube(double *cube, const double *x, const bml_mcmc__region *r) {
    for (int k = 0; k < r->d; k++) {
        cube[k] = x[k] + r->cut[k];
        if (cube[k] > 1) cube[k] -= 1;
    }
}

/* Mean and scatter matrix (lower half) of cluster c; returns its size. */
static int bml_mcmc__scatter(double *mean, double *scatter, const bml_mcmc__region *r, int c) {
    int d = r->d;
    int n = 0;
    memset(mean, 0, sizeof(double) * (size_t)d);
    memset(scatter, 0, sizeof(double) * (size_t)(d * d));
    for (int i = 0; i < r->n; i++) {
        if (r->label[i] != c) continue;
        n++;
        for (int k = 0; k < d; k++)
            mean[k] += r->x[i * d + k];
    }
    for (int k = 0; k < d; k++)
        mean[k] /= n;
    for (int i = 0; i < r->n; i++) {
        if (r->label[i] != c) continue;
        for (int k = 0; k < d; k++) {
            double xk = r->x[i * d + k] - mean[k];
            for (int j = 0; j <= k; j++)
                scatter[k * d + j] += xk * (r->x[i * d + j] - mean[j]);
        }
    }
    return n;
}

/* r->L, A and y from the covariance within clusters. Too few points for a covariance: their correlations are shrunk. */
static int bml_mcmc__region_metric(bml_mcmc__region *r) {
    int d = r->d;
    double few = r->n < 4 * d ? r->n / (4.0 * d) : 1;
    double *S = r->A;
    double *mean = r->scratch;
    memset(r->L, 0, sizeof(double) * (size_t)(d * d));
    for (int c = 0; c < r->n_clusters; c++) {
        bml_mcmc__scatter(mean, S, r, c);
        for (int i = 0; i < d * d; i++)
            r->L[i] += S[i] / (r->n > r->n_clusters ? r->n - r->n_clusters : 1);
    }
    for (int i = 0; i < d; i++) {
        for (int k = 0; k < i; k++)
            r->L[i * d + k] *= few;
        r->L[i * d + i] = r->L[i * d + i] * (1 + 1e-10) + 1e-30; /* identical points still have a size */
    }
    if (!bml_mcmc__cholesky(r->L, d, 1e-14)) return 0;
    bml_mcmc__invert_lower(r->A, r->L, d);
    for (int i = 0; i < r->n; i++)
        bml_mcmc__lower_times(r->y + i * d, r->A, r->x + i * d, d);
    return 1;
}

/* Modes that stand apart in some coordinate: cuts in gaps wider than the spread on both sides, again and again.
   Neighbours in many dimensions are too far for the links below to
   tell such modes apart before the metric knows of them. */
static int bml_mcmc__region_gaps(bml_mcmc__region *r) {
    int n = r->n;
    int d = r->d;
    int parts = 1;
    bml_mcmc__key *key = (bml_mcmc__key *)bml_mcmc__alloc((size_t)n, 1, sizeof *key);
    if (!key) return BML_MCMC_NO_MEMORY;
    memset(r->part, 0, sizeof(int) * (size_t)n);
    for (int c = 0; c < parts; c++)
        for (int k = 0; k < d && parts < BML_MCMC__PARTS; k++) {
            double sum = 0;
            double sum2 = 0;
            double left = 0;
            double left2 = 0;
            double widest = 0;
            int m = 0;
            int cut = 0;
            for (int i = 0; i < n; i++)
                if (r->part[i] == c) {
                    key[m].log_l = r->x[i * d + k];
                    key[m].tie = 0;
                    key[m].index = (size_t)i;
                    m++;
                }
            qsort(key, (size_t)m, sizeof *key, bml_mcmc__compare_keys);
            double origin = key[m / 2].log_l;
            for (int i = 0; i < m; i++) {
                key[i].log_l -= origin;
                sum += key[i].log_l;
                sum2 += key[i].log_l * key[i].log_l;
            }
            for (int i = 1; i < m; i++) {
                double gap = key[i].log_l - key[i - 1].log_l;
                double a = i;
                double b = m - i;
                left += key[i - 1].log_l;
                left2 += key[i - 1].log_l * key[i - 1].log_l;
                if (i < 3 + d / 2 || m - i < 3 + d / 2) continue;
                double spread = sqrt(fabs(left2 - left * left / a) / a) +
                                sqrt(fabs(sum2 - left2 - (sum - left) * (sum - left) / b) / b);
                if (gap > 0.75 * spread && gap > widest) {
                    widest = gap;
                    cut = i;
                }
            }
            for (int i = cut; cut && i < m; i++)
                r->part[key[i].index] = parts;
            parts += cut > 0;
            k = cut ? -1 : k; /* the rest of part c once more */
        }
    BML_MCMC_FREE(key);
    return BML_MCMC_OK;
}

/* The ball radius, the largest distance to the nearest neighbour, and clusters: chains of neighbours within it. */
static void bml_mcmc__region_clusters(bml_mcmc__region *r) {
    int i;
    int d = r->d;
    int n = r->n;
    double largest = 0;
    for (i = 0; i < n; i++) {
        double nearest = DBL_MAX;
        for (int j = 0; j < n; j++) {
            double t = i == j ? DBL_MAX : bml_mcmc__distance(r->y + i * d, r->y + j * d, d);
            nearest = t < nearest ? t : nearest;
        }
        if (nearest < DBL_MAX && nearest > largest) largest = nearest;
    }
    r->radius = sqrt(largest) * 1.25;
    largest = r->radius * r->radius;
    for (i = 0; i < n; i++)
        r->label[i] = -1;
    int c;
    for (c = i = 0; i < n; i++) {
        int done = 0;
        int todo = 1;
        if (r->label[i] >= 0) continue;
        r->label[i] = c;
        r->queue[0] = i;
        for (; done < todo; done++) /* cluster c grows from its first point */
            for (int j = i + 1; j < n; j++)
                if (r->label[j] < 0 && r->part[j] == r->part[i] &&
                    bml_mcmc__distance(r->y + r->queue[done] * d, r->y + j * d, d) <= largest) {
                    r->label[j] = c;
                    r->queue[todo++] = j;
                }
        c++;
    }
    r->n_clusters = c;
}

/* Ellipsoid c around its cluster's points, of a shape shrunk towards the pooled covariance where they are few. Returns
   the log of its volume, unit balls' volume left out. */
static double bml_mcmc__ellipsoid(bml_mcmc__region *r, int c) {
    int d = r->d;
    double *mean = r->mean + c * d;
    double *L = r->EL + c * d * d;
    double *A = r->EA + c * d * d;
    double *z = r->scratch;
    double *v = z + d;
    double top = 0;
    int n = bml_mcmc__scatter(mean, L, r, c);
    double few = n > 4 * d + 4 ? 0 : 2.0 * d;
    int k;
    for (int i = 0; i < d; i++)
        for (k = 0; k <= i; k++) { /* pooled covariance L L^T, element by element */
            double pooled = 0;
            for (int j = 0; j <= k; j++)
                pooled += r->L[i * d + j] * r->L[k * d + j];
            L[i * d + k] = (L[i * d + k] + few * pooled) / (n - 1 + few) + (i == k) * 1e-12 * pooled;
        }
    if (!bml_mcmc__cholesky(L, d, 1e-14)) memcpy(L, r->L, sizeof(double) * (size_t)(d * d));
    double log_det = bml_mcmc__invert_lower(A, L, d);
    for (int i = 0; i < r->n; i++) {
        if (r->label[i] != c) continue;
        for (k = 0; k < d; k++)
            v[k] = r->x[i * d + k] - mean[k];
        bml_mcmc__lower_times(z, A, v, d);
        double m;
        for (k = 0, m = 0; k < d; k++)
            m += z[k] * z[k];
        if (few == 0) { /* the distance by the mean and covariance of the others (Sherman & Morrison 1950) */
            double q = m / (n - 1);
            double f = n / (n - 1.0);
            double left = 1 - f * q;
            m = f * f * (n - 2) * q / (left > 1e-6 ? left : 1e-6);
        }
        top = m > top ? m : top;
    }
    top = sqrt(top) * BML_MCMC__ROOM;
    if (few > 0) top = 1.5 * top + r->radius;
    r->spread[c] = top;
    for (int i = 0; i < d * d; i++) {
        L[i] *= top;
        A[i] /= top;
    }
    return log_det + d * log(top);
}

/* Room for n points and n_clusters ellipsoids. */
static int bml_mcmc__region_reserve(bml_mcmc__region *r, int n, int n_clusters) {
    size_t N = (size_t)n;
    size_t D = (size_t)r->d;
    size_t C = (size_t)n_clusters;
    if (n > r->capacity) {
        BML_MCMC_FREE(r->index);
        BML_MCMC_FREE(r->x);
        BML_MCMC_FREE(r->y);
        BML_MCMC_FREE(r->label);
        BML_MCMC_FREE(r->queue);
        BML_MCMC_FREE(r->part);
        r->capacity = n;
        r->index = (size_t *)bml_mcmc__alloc(N, 1, sizeof(size_t));
        r->x = bml_mcmc__doubles(N, D);
        r->y = bml_mcmc__doubles(N, D);
        r->label = (int *)bml_mcmc__alloc(N, 1, sizeof(int));
        r->queue = (int *)bml_mcmc__alloc(N, 1, sizeof(int));
        r->part = (int *)bml_mcmc__alloc(N, 1, sizeof(int));
        if (!r->index || !r->x || !r->y || !r->label || !r->queue || !r->part) return r->capacity = 0;
    }
    if (n_clusters > r->clusters_capacity) {
        BML_MCMC_FREE(r->mean);
        BML_MCMC_FREE(r->EL);
        BML_MCMC_FREE(r->EA);
        BML_MCMC_FREE(r->spread);
        BML_MCMC_FREE(r->weight);
        r->clusters_capacity = n_clusters;
        r->mean = bml_mcmc__doubles(C, D);
        r->EL = bml_mcmc__doubles(C * D, D);
        r->EA = bml_mcmc__doubles(C * D, D);
        r->spread = bml_mcmc__doubles(C, 1);
        r->weight = bml_mcmc__doubles(C, 1);
        if (!r->mean || !r->EL || !r->EA || !r->spread || !r->weight) return r->clusters_capacity = 0;
    }
    return 1;
}

/* What to draw from is whatever has the least volume: the cube, all ellipsoids, all balls. */
static void bml_mcmc__region_shape(bml_mcmc__region *r) {
    int d = r->d;
    double ball = 0.5 * d * 1.1447298858494002 - lgamma(0.5 * d + 1);
    double log_det = 0;
    double sum = 0;
    for (int c = 0; c < d; c++)
        log_det += log(r->L[c * d + c]);
    double ellipsoids = r->weight[0];
    for (int c = 1; c < r->n_clusters; c++)
        ellipsoids = bml_mcmc__log_add(ellipsoids, r->weight[c]);
    for (int c = 0; c < r->n_clusters; c++)
        sum = r->weight[c] = sum + exp(r->weight[c] - ellipsoids); /* cumulative */
    ellipsoids += ball;
    double balls = ball + log_det + d * log(r->radius) + log(r->n);
    r->shape = ellipsoids > 0 && balls > 0 ? BML_MCMC__CUBE
               : balls < ellipsoids        ? BML_MCMC__BALLS
                                           : BML_MCMC__ELLIPSOIDS;
}

/* The region from all points, of any pass, that were live at threshold t. r->n = 0: not enough of them. */
static int bml_mcmc__region_build(bml_mcmc_nested *s, double t) {
    bml_mcmc__region *r = &s->region;
    size_t found = 0;
    size_t most = 1000 > 2 * s->config.live_points ? 1000 : 2 * (size_t)s->config.live_points;
    size_t at = 0;
    r->n = 0;
    for (size_t i = 0; i < s->now.n_points; i++)
        found += bml_mcmc__value(s, i, BML_MCMC__BIRTH) <= t && bml_mcmc__value(s, i, BML_MCMC__LOG_L) > t;
    if (found < 2) return BML_MCMC_OK;
    if (!bml_mcmc__region_reserve(r, (int)(found < most ? found : most), 1))
        return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "region");
    for (size_t i = 0; i < s->now.n_points; i++) { /* of too many, evenly spaced ones */
        if (!(bml_mcmc__value(s, i, BML_MCMC__BIRTH) <= t && bml_mcmc__value(s, i, BML_MCMC__LOG_L) > t)) continue;
        if (found <= most || at * most / found != (at + 1) * most / found) r->index[r->n++] = i;
        at++;
    }
    if (bml_mcmc__region_shift(r, s) || bml_mcmc__region_gaps(r))
        return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "region");
    memcpy(r->label, r->part, sizeof(int) * (size_t)r->n);
    for (r->n_clusters = 1, at = 0; at < (size_t)r->n; at++)
        r->n_clusters = r->label[at] < r->n_clusters ? r->n_clusters : r->label[at] + 1;
    for (int pass = 0; pass < 4; pass++) { /* clusters give a metric, which gives clusters */
        int before = r->n_clusters;
        if (!bml_mcmc__region_metric(r)) {
            r->n = 0;
            return BML_MCMC_OK;
        }
        bml_mcmc__region_clusters(r);
        if (r->n_clusters == before) break;
    }
    if (!bml_mcmc__region_reserve(r, 0, r->n_clusters)) return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "region");
    for (int c = 0; c < r->n_clusters; c++)
        r->weight[c] = bml_mcmc__ellipsoid(r, c);
    bml_mcmc__region_shape(r);
    return BML_MCMC_OK;
}

/* |EA_c (x - mean_c)|^2: at most 1 inside ellipsoid c. */
static double bml_mcmc__ellipsoid_r2(const bml_mcmc__region *r, const double *x, int c) {
    int d = r->d;
    const double *A = r->EA + c * d * d;
    const double *mean = r->mean + c * d;
    double *v = r->scratch;
    double sum = 0;
    for (int i = 0; i < d; i++) {
        double t = 0;
        v[i] = x[i] - mean[i];
        for (int j = 0; j <= i; j++)
            t += A[i * d + j] * v[j];
        sum += t * t;
    }
    return sum;
}

/* In how many ellipsoids, widened by `room`, x is; *pick is the one whose turn is `which`. */
static int bml_mcmc__count_ellipsoids(const bml_mcmc__region *r, const double *x, double room, int which, int *pick) {
    int q = 0;
    for (int c = 0; c < r->n_clusters; c++)
        if (bml_mcmc__ellipsoid_r2(r, x, c) <= room * room && q++ == which) *pick = c;
    return q;
}

/* How many balls hold y; those after the first only if all are wanted. */
static int bml_mcmc__count_balls(const bml_mcmc__region *r, const double *y, int all) {
    int q = 0;
    for (int i = 0; i < r->n && (all || !q); i++)
        q += bml_mcmc__distance(r->y + i * r->d, y, r->d) <= r->radius * r->radius;
    return q;
}

/* v[d] uniform in the unit ball. */
static void bml_mcmc__ball(double *v, int d, bml_mcmc_rng *rng) {
    double sum = 0;
    for (int k = 0; k < d; k++) {
        v[k] = bml_mcmc_rng_normal(rng);
        sum += v[k] * v[k];
    }
    double f = pow(bml_mcmc_rng_uniform(rng), 1.0 / d) / sqrt(sum);
    for (int k = 0; k < d; k++)
        v[k] *= f;
}

/* One attempt at a point x uniform in the region; 0 when it fell outside. Where k shapes overlap, one in k is kept. */
static int bml_mcmc__region_attempt(double *x, const bml_mcmc__region *r, bml_mcmc_rng *rng) {
    int d = r->d;
    int c = 0;
    double *v = r->scratch + d;
    double *y = r->scratch + 2 * d;
    double u = bml_mcmc_rng_uniform(rng);
    if (r->shape == BML_MCMC__CUBE) {
        for (int k = 0; k < d; k++)
            x[k] = bml_mcmc_rng_uniform(rng);
    } else if (r->shape == BML_MCMC__ELLIPSOIDS) {
        while (c < r->n_clusters - 1 && u > r->weight[c])
            c++;
        bml_mcmc__ball(v, d, rng);
        bml_mcmc__lower_times(x, r->EL + c * d * d, v, d);
        for (int k = 0; k < d; k++)
            x[k] += r->mean[c * d + k];
    } else {
        c = bml_mcmc__below(rng, r->n);
        bml_mcmc__ball(v, d, rng);
        for (int k = 0; k < d; k++)
            y[k] = r->y[c * d + k] + r->radius * v[k];
        bml_mcmc__lower_times(x, r->L, y, d);
    }
    for (int k = 0; k < d; k++)
        if (!(x[k] >= 0 && x[k] <= 1)) return 0;
    int q = bml_mcmc__count_ellipsoids(r, x, 1, -1, &c);
    if (q == 0 || (r->shape == BML_MCMC__ELLIPSOIDS && q > 1 && bml_mcmc_rng_uniform(rng) * q > 1)) return 0;
    bml_mcmc__lower_times(y, r->A, x, d);
    q = bml_mcmc__count_balls(r, y, r->shape == BML_MCMC__BALLS);
    return q > 0 && !(r->shape == BML_MCMC__BALLS && q > 1 && bml_mcmc_rng_uniform(rng) * q > 1);
}

/* Trial points from the region, or from the cube without one; how many. 10^4 attempts for each are given up. */
static size_t bml_mcmc__region_draw(bml_mcmc_nested *s, size_t n, bml_mcmc_rng *rng) {
    bml_mcmc__region *r = &s->region;
    size_t i = 0;
    size_t D = (size_t)r->d;
    double *x = r->scratch + 3 * D;
    for (size_t attempt = 0; i < n && attempt < 10000 * n; attempt++) {
        double *cube = s->trial_cube + i * D;
        if (r->n == 0)
            for (size_t k = 0; k < D; k++)
                cube[k] = bml_mcmc_rng_uniform(rng);
        else if (bml_mcmc__region_attempt(x, r, rng))
            bml_mcmc__region_cube(cube, x, r);
        else
            continue;
        i++;
    }
    return i;
}

/* >> nested sampling: slices
   A chain starts at a known point above the threshold, and stays above it: hit-and-run with shrinkage (Neal 2003, fig.
   5), inside an ellipsoid of the region, whose chord is the first bracket. Directions depend on the ellipsoid and the
   known points alone, not on x; d of them are a sweep. Where x is in q(x) ellipsoids one of them is drawn for each
   slice, and the move to y is taken with probability q(x)/q(y): the uniform density stays what it was. All chains of a
   round take each likelihood together. */

typedef struct bml_mcmc__slice {
    bml_mcmc_rng rng;
    int start, step, q, shrinks; /* row of the region; slices done; ellipsoids that hold x; 0: a new slice is due */
    double a, b, t, log_l, tie;
} bml_mcmc__slice;

/* Direction v of length one in ellipsoid c's metric, w = A v: the difference of two points of its cluster, where two
   drawn at random are of it, or any. */
static void bml_mcmc__direction(double *v, double *w, int c, const bml_mcmc__region *r, bml_mcmc_rng *rng) {
    int d = r->d;
    int i = bml_mcmc__below(rng, r->n);
    int j = bml_mcmc__below(rng, r->n);
    double norm = 0;
    if (r->label[i] == c && r->label[j] == c) {
        for (int k = 0; k < d; k++)
            v[k] = r->x[i * d + k] - r->x[j * d + k];
        bml_mcmc__lower_times(w, r->EA + c * d * d, v, d);
        for (int k = 0; k < d; k++)
            norm += w[k] * w[k];
    }
    for (; !(norm > 0);) /* other clusters; the same point twice */
        for (int k = 0; k < d; k++) {
            w[k] = bml_mcmc_rng_normal(rng);
            norm += w[k] * w[k];
        }
    for (int k = 0; k < d; k++)
        w[k] /= sqrt(norm);
    bml_mcmc__lower_times(v, r->EL + c * d * d, w, d);
}

/* Direction v and bracket [a, b] of the next slice through x, within an ellipsoid and the cube. */
static void bml_mcmc__slice_begin(bml_mcmc__slice *c, double *v, const double *x, const bml_mcmc__region *r) {
    int d = r->d;
    int pick = 0;
    double *z = r->scratch + 3 * d;
    double *w = r->scratch + 2 * d;
    double along = 0;
    c->q = bml_mcmc__count_ellipsoids(r, x, BML_MCMC__SLICE_ROOM, -1, &pick);
    bml_mcmc__count_ellipsoids(r, x, BML_MCMC__SLICE_ROOM, bml_mcmc__below(&c->rng, c->q > 0 ? c->q : 1), &pick);
    bml_mcmc__direction(v, w, pick, r, &c->rng);
    int k;
    for (k = 0; k < d; k++)
        r->scratch[k] = x[k] - r->mean[pick * d + k];
    bml_mcmc__lower_times(z, r->EA + pick * d * d, r->scratch, d);
    double r2;
    for (k = 0, r2 = 0; k < d; k++) {
        along += w[k] * z[k];
        r2 += z[k] * z[k];
    }
    r2 = along * along + BML_MCMC__SLICE_ROOM * BML_MCMC__SLICE_ROOM - r2;
    r2 = r2 > 0 ? sqrt(r2) : 0;
    c->a = -along - r2;
    c->b = -along + r2;
    for (k = 0; k < d; k++) { /* 0 <= x + t v <= 1 */
        if (v[k] == 0) continue;
        double lo = -x[k] / v[k];
        double hi = (1 - x[k]) / v[k];
        if (lo > hi) {
            double swap = lo;
            lo = hi;
            hi = swap;
        }
        c->a = lo > c->a ? lo : c->a;
        c->b = hi < c->b ? hi : c->b;
    }
    if (!(c->a <= 0)) c->a = 0; /* by rounding */
    if (!(c->b >= 0)) c->b = 0;
}

/* The likelihood of the trial y = x + t v of chain c has come: the slice ends there, or shrinks. */
static void bml_mcmc__slice_answer(bml_mcmc__slice *c, double *x, double *theta, const double *y, const double *y_theta,
                                   double log_l, double threshold, const bml_mcmc__region *r) {
    size_t bytes = sizeof(double) * (size_t)r->d;
    if (!(log_l > threshold)) {
        if (c->t < 0)
            c->a = c->t;
        else
            c->b = c->t;
        if (++c->shrinks <= BML_MCMC__SHRINKS) return;
    } else {
        int pick;
        int q = bml_mcmc__count_ellipsoids(r, y, BML_MCMC__SLICE_ROOM, -1, &pick);
        if (q <= c->q || bml_mcmc_rng_uniform(&c->rng) * q < c->q) {
            memcpy(x, y, bytes);
            memcpy(theta, y_theta, bytes);
            c->log_l = log_l;
        }
    }
    c->step++;
    c->shrinks = 0;
}

/* How far chain c came from its start, in units in which independent points have a mean of 1. */
static void bml_mcmc__jump(bml_mcmc_nested *s, const bml_mcmc__slice *c, const double *x) {
    const bml_mcmc__region *r = &s->region;
    int d = r->d;
    int cluster = r->label[c->start];
    const double *A = r->EA + cluster * d * d;
    const double *from = r->x + c->start * d;
    double below = 0;
    double start_log_l = bml_mcmc__value(s, r->index[c->start], BML_MCMC__LOG_L);
    for (int k = 0; k < d; k++) {
        double z = 0;
        for (int i = 0; i <= k; i++)
            z += A[k * d + i] * (x[i] - from[i]);
        z *= r->spread[cluster];
        s->jump[k] += 0.5 * z * z;
    }
    for (int i = 0; i < r->n; i++) { /* the ranks of the two likelihoods */
        double l = bml_mcmc__value(s, r->index[i], BML_MCMC__LOG_L);
        below += (l < c->log_l) + 0.5 * (l == c->log_l) - (l < start_log_l) - 0.5 * (l == start_log_l);
    }
    s->jump[d] += 6 * (below / r->n) * (below / r->n);
    s->now.jumps++;
}

/* After enough chains: do new points remember their start? Then there will be more slices. */
static void bml_mcmc__check_sweeps(bml_mcmc_nested *s) {
    int d = s->config.n_dim;
    double n = (double)s->now.jumps;
    double worst = 0;
    double mean = 0;
    double allowed = 0.1 + 5 / sqrt(n); /* worst of many noisy numbers */
    if (s->now.jumps < BML_MCMC__JUMPS) return;
    for (int k = 0; k <= d; k++) {
        double rho = 1 - s->jump[k] / n;
        worst = rho > worst ? rho : worst;
        if (k < d) mean += rho / d;
    }
    s->now.correlation = mean;
    if (!s->config.sweeps && (worst > allowed || mean > 0.1) && s->now.sweeps < BML_MCMC__MAX_SWEEPS)
        s->now.sweeps += mean > 0.3 ? s->now.sweeps : s->now.sweeps / 2;
    memset(s->jump, 0, sizeof(double) * (size_t)(d + 1));
    s->now.jumps = 0;
}

/* n chains from different points of the region, if it has so many; x, theta, v: [n][d]. */
static int bml_mcmc__slice_run(bml_mcmc_nested *s, bml_mcmc__slice *chain, double *x, int n) {
    const bml_mcmc__region *r = &s->region;
    int d = r->d;
    int i;
    int steps = (int)s->now.sweeps * d;
    int status = BML_MCMC_OK;
    double *theta = x + n * d;
    double *v = theta + n * d;
    double *y = v + n * d;
    for (;;) {
        size_t batch = 0;
        for (i = 0; i < n; i++) {
            bml_mcmc__slice *c = chain + i;
            if (c->step == steps) continue;
            if (!c->shrinks) {
                bml_mcmc__slice_begin(c, v + i * d, x + i * d, r);
                c->shrinks = 1;
            }
            c->t = c->a + (c->b - c->a) * bml_mcmc_rng_uniform(&c->rng);
            for (int k = 0; k < d; k++) {
                double at = x[i * d + k] + c->t * v[i * d + k];
                y[batch * (size_t)d + (size_t)k] = at < 0 ? 0 : at > 1 ? 1 : at; /* by rounding */
            }
            bml_mcmc__region_cube(s->trial_cube + batch * (size_t)d, y + batch * (size_t)d, r);
            batch++;
        }
        if (!batch) return BML_MCMC_OK;
        if ((status = bml_mcmc__try(s, batch)) != BML_MCMC_OK || (status = bml_mcmc__nested_report(s)) != BML_MCMC_OK)
            return status;
        s->now.slice_evaluations += batch;
        s->now.slice_calls += batch;
        for (i = 0, batch = 0; i < n; i++) {
            if (chain[i].step == steps) continue;
            bml_mcmc__slice_answer(chain + i, x + i * d, theta + i * d, y + batch * (size_t)d,
                                   s->trial_theta + batch * (size_t)d, s->trial_log_l[batch], s->now.threshold, r);
            batch++;
        }
    }
}

/* `want` new points by slices. */
static int bml_mcmc__slice_points(bml_mcmc_nested *s, size_t want) {
    const bml_mcmc__region *r = &s->region;
    size_t D = (size_t)r->d;
    int n = (int)want;
    int status = BML_MCMC_OK;
    bml_mcmc_rng shared =
        bml_mcmc__stream(s->config.seed, 0xFFFFFFFEu, (uint32_t)s->now.round, (uint32_t)(s->now.round >> 32));
    double *x = bml_mcmc__doubles(want * D, 4);
    double *cube = bml_mcmc__doubles(D, 1);
    bml_mcmc__slice *chain = (bml_mcmc__slice *)bml_mcmc__alloc(want, 1, sizeof *chain);
    if (!x || !chain || !cube || bml_mcmc__trials(s, want))
        status = bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "%d chains", n);
    for (size_t i = 0; i < (size_t)r->n && !status; i++)
        s->region.queue[i] = (int)i;
    for (size_t i = 0; i < want && !status; i++) { /* a random order of the region's points */
        int *order = s->region.queue;
        int at = (int)(i % (size_t)r->n);
        int j = at + bml_mcmc__below(&shared, r->n - at);
        int swap = order[at];
        order[at] = order[j];
        order[j] = swap;
        chain[i].start = order[at];
        chain[i].rng =
            bml_mcmc__stream(s->config.seed, (uint32_t)i, (uint32_t)s->now.round, (uint32_t)(s->now.round >> 32));
        chain[i].log_l = bml_mcmc__value(s, r->index[order[at]], BML_MCMC__LOG_L);
        memcpy(x + i * D, r->x + (size_t)order[at] * D, sizeof(double) * D);
        memcpy(x + (want + i) * D, bml_mcmc__point(s, r->index[order[at]]) + D, sizeof(double) * D);
    }
    if (!status) status = bml_mcmc__slice_run(s, chain, x, n);
    for (size_t i = 0; i < want && !status; i++) {
        bml_mcmc__region_cube(cube, x + i * D, r);
        bml_mcmc__jump(s, chain + i, x + i * D);
        status = bml_mcmc__take(s, cube, x + (want + i) * D, chain[i].log_l, s->now.threshold,
                                bml_mcmc_rng_uniform(&chain[i].rng));
    }
    s->now.slice_chains += want;
    BML_MCMC_FREE(x);
    BML_MCMC_FREE(chain);
    BML_MCMC_FREE(cube);
    if (!status) bml_mcmc__check_sweeps(s);
    return status;
}

/* >> nested sampling: rounds
   A round kills the worst live points, all those at or below a threshold, and draws as many above it again, and a few
   more if they come: their births keep count. It is taken whole or not at all. */

static double bml_mcmc__slice_cost(const bml_mcmc_nested *s) {
    if (s->now.slice_chains) return (double)s->now.slice_calls / (double)s->now.slice_chains;
    return 2.5 * (double)s->now.sweeps * s->config.n_dim;
}

/* n trials from the region; those above the threshold are taken. *hits: how many. */
static int bml_mcmc__region_points(bml_mcmc_nested *s, size_t n, size_t *hits, bml_mcmc_rng *rng) {
    size_t D = (size_t)s->config.n_dim;
    int status = bml_mcmc__trials(s, n);
    *hits = 0;
    if (status) return status;
    size_t drawn = bml_mcmc__region_draw(s, n, rng);
    if (drawn) status = bml_mcmc__try(s, drawn);
    if (!status) status = bml_mcmc__nested_report(s);
    for (size_t i = 0; i < drawn && !status; i++) {
        if (!(s->trial_log_l[i] > s->now.threshold)) continue;
        status = bml_mcmc__take(s, s->trial_cube + i * D, s->trial_theta + i * D, s->trial_log_l[i], s->now.threshold,
                                bml_mcmc_rng_uniform(rng));
        ++*hits;
    }
    return status;
}

/* At least `want` new points above the threshold. */
static int bml_mcmc__refill(bml_mcmc_nested *s, size_t want) {
    bml_mcmc_rng rng =
        bml_mcmc__stream(s->config.seed, 0xFFFFFFFFu, (uint32_t)s->now.round, (uint32_t)(s->now.round >> 32));
    int choose = s->config.method == BML_MCMC_NESTED_AUTO;
    int status = BML_MCMC_OK;
    double tried = 0;
    double cost = bml_mcmc__slice_cost(s);
    if ((status = bml_mcmc__nested_report(s)) != BML_MCMC_OK) return status;
    size_t hits;
    size_t n;
    if (choose && s->now.method == BML_MCMC_NESTED_SLICE && s->region.n) { /* would the region be cheaper by now? */
        n = (size_t)ceil(2 * cost);
        if ((status = bml_mcmc__region_points(s, n, &hits, &rng)) != BML_MCMC_OK) return status;
        s->now.probes = 0.9 * s->now.probes + (double)n;
        s->now.probe_hits = 0.9 * s->now.probe_hits + (double)hits;
        if (s->now.probe_hits > 5 && s->now.probe_hits * cost > 1.5 * s->now.probes) {
            s->now.method = BML_MCMC_NESTED_REGION;
            s->now.efficiency = s->now.probe_hits / s->now.probes;
        }
    }
    while (s->fresh < want) {
        double need = (double)(want - s->fresh);
        double most = need / s->now.efficiency;
        if (s->now.method == BML_MCMC_NESTED_SLICE && s->region.n) return bml_mcmc__slice_points(s, want - s->fresh);
        n = (size_t)ceil(most < 4096 ? most : 4096);
        if ((status = bml_mcmc__region_points(s, n, &hits, &rng)) != BML_MCMC_OK) return status;
        tried += (double)n;
        s->now.efficiency = ((double)s->fresh + 0.5) / (tried + 0.5);
        if (choose && s->region.n && s->now.efficiency * cost < 1 && tried > 10 * cost) {
            s->now.method = BML_MCMC_NESTED_SLICE;
            s->now.probes = s->now.probe_hits = 0;
        }
    }
    return BML_MCMC_OK;
}

/* Insertion ranks (Fowlie, Handley & Su 2020): of each new point among those that live already, spread over (0,1). */
static void bml_mcmc__rank(bml_mcmc_nested *s, size_t first_survivor) {
    bml_mcmc_rng rng =
        bml_mcmc__stream(s->config.seed, 0xFFFFFFFDu, (uint32_t)s->now.round, (uint32_t)(s->now.round >> 32));
    size_t n = (size_t)s->now.n_points;
    for (size_t i = n; i < n + s->fresh; i++) {
        double l = bml_mcmc__value(s, i, BML_MCMC__LOG_L);
        double tie = bml_mcmc__value(s, i, BML_MCMC__TIE);
        double below = 0;
        for (size_t j = first_survivor; j < s->n_live; j++)
            below += s->order[j].log_l < l || (s->order[j].log_l == l && s->order[j].tie < tie);
        for (size_t j = n; j < i; j++) {
            double other = bml_mcmc__value(s, j, BML_MCMC__LOG_L);
            below += other < l || (other == l && bml_mcmc__value(s, j, BML_MCMC__TIE) < tie);
        }
        below += bml_mcmc_rng_uniform(&rng);
        bml_mcmc__point(s, i)[2 * s->config.n_dim + BML_MCMC__RANK] =
            below / (double)(s->n_live - first_survivor + i - n + 1);
    }
}

/* The first `dead` of the order die: volume, evidence and
   information by expectation, for the progress line and the end. */
static void bml_mcmc__kill(bml_mcmc_nested *s, size_t dead) {
    bml_mcmc__nested_state *now = &s->now;
    for (size_t i = 0; i < dead; i++) {
        double step = 1 / (double)(s->n_live - i);
        double l = s->order[i].log_l;
        double w = now->log_x + log(-expm1(-step)) + l;
        double before = now->log_z;
        bml_mcmc__point(s, s->order[i].index)[2 * s->config.n_dim + BML_MCMC__LIVE] = 0;
        if (now->pass) continue;
        now->log_x -= step;
        now->log_z = bml_mcmc__log_add(before, w);
        if (l > -DBL_MAX) now->information = exp(w - now->log_z) * l + exp(before - now->log_z) * now->information;
    }
}

/* How many of the order die, and the new threshold; -1: none, more points are needed first; -2: nothing lies above. */
static long bml_mcmc__choose_threshold(bml_mcmc_nested *s, double *t) {
    size_t m = s->n_live;
    size_t K = (size_t)s->config.live_points;
    size_t keep = K - (size_t)s->config.replace;
    size_t first = m > keep ? m - keep - 1 : 0; /* the last to die, before its ties are counted */
    *t = s->order[first].log_l;
    size_t next;
    for (next = first + 1; next < m && s->order[next].log_l == *t; next++) {}
    while (first > 0 && s->order[first - 1].log_l == *t)
        first--;
    if (2 * (m - next) >= K) return (long)next;
    if (first > 0) { /* a plateau holds so many of them: it is left for the next round */
        *t = s->order[first - 1].log_l;
        return (long)first;
    }
    if (m < (*t == -DBL_MAX ? 256 : 16) * K) return -1;
    return next < m ? (long)next : -2;
}

static int bml_mcmc__round_steps(bml_mcmc_nested *s) {
    bml_mcmc__nested_state *now = &s->now;
    size_t K = (size_t)s->config.live_points;
    size_t dead = 0;
    size_t want = K;
    double t = now->low;
    int status = bml_mcmc__sort_points(s, 0);
    now->round++;
    if (!status && s->n_live) {
        long choice = bml_mcmc__choose_threshold(s, &t);
        if (choice == -2 && t == -DBL_MAX)
            return bml_mcmc__fail(s->message, BML_MCMC_NO_SUPPORT, "-infinity at all of %llu points of the prior",
                                  (unsigned long long)s->n_live);
        if (choice == -2) {
            now->pass_over = 1;
            return BML_MCMC_OK;
        }
        if (choice == -1) t = now->threshold;
        dead = choice > 0 ? (size_t)choice : 0;
        want = choice == -1 ? s->n_live : s->n_live - dead < K ? K - (s->n_live - dead) : 0;
    }
    now->threshold = t;
    if (!status && want) status = bml_mcmc__region_build(s, t);
    if (!status) status = bml_mcmc__refill(s, want);
    if (status) return status;
    if (s->n_live) bml_mcmc__rank(s, dead);
    bml_mcmc__kill(s, dead);
    now->n_points += s->fresh;
    return BML_MCMC_OK;
}

/* The pass is over when what lives can add nothing that matters; a dynamic pass, at its end. */
static int bml_mcmc__round_end(bml_mcmc_nested *s) {
    bml_mcmc_nested_progress *p = &s->report;
    bml_mcmc__nested_state *now = &s->now;
    double mean = -DBL_MAX;
    int status = bml_mcmc__sort_points(s, 0);
    if (status) return status;
    double best = s->order[s->n_live - 1].log_l + now->log_x;
    for (size_t i = 0; i < s->n_live; i++)
        mean = bml_mcmc__log_add(mean, s->order[i].log_l);
    p->log_z = now->log_z;
    if (!now->pass) {
        now->remaining = exp(best - bml_mcmc__log_add(now->log_z, best));
        if (now->log_x < 0 && now->remaining < s->config.remaining) now->pass_over = 1;
        p->log_z = bml_mcmc__log_add(now->log_z, mean - log((double)s->n_live) + now->log_x);
    } else if (now->threshold >= now->high)
        now->pass_over = 1;
    double H = now->information - now->log_z;
    p->log_z_error = H > 0 && now->log_x < 0 ? sqrt(H / s->config.live_points) : 0;
    p->remaining = now->remaining;
    p->log_volume = now->log_x;
    p->evaluations = now->evaluations;
    p->pass = (int)now->pass;
    p->method = (int)now->method;
    p->n_clusters = s->region.n ? s->region.n_clusters : 1;
    p->n_points = (size_t)now->n_points;
    return BML_MCMC_OK;
}

static int bml_mcmc__round(bml_mcmc_nested *s) {
    bml_mcmc__nested_state before = s->now;
    size_t jumps = sizeof(double) * (size_t)(s->config.n_dim + 1);
    memcpy(s->jump + s->config.n_dim + 1, s->jump, jumps);
    s->fresh = 0;
    s->region.n = 0;
    int status;
    if ((status = bml_mcmc__round_steps(s)) == BML_MCMC_OK) status = bml_mcmc__round_end(s);
    if (status) {
        s->now = before;
        memcpy(s->jump, s->jump + s->config.n_dim + 1, jumps);
        return status;
    }
    s->report.efficiency = (double)s->fresh / ((double)(s->now.evaluations - before.evaluations) + 1e-300);
    return bml_mcmc__nested_report(s);
}

/* >> nested sampling: evidence
   Of all points in the order of their likelihood, number i dies among n_i that were born below it and are not dead, and
   shrinks the volume by t_i, distributed as Beta(n_i, 1) (Skilling 2006; Higson et al. 2019 for n_i from births;
   Fowlie, Handley & Su 2021 for plateaus, whose points die one by one). ln X_i = -sum 1/n_j; Z by the trapezoid rule;
   its error from 200 runs through the t_i. */

/* The volume that point i stands for, in units of X_(i-1): half of the intervals on both sides, the ends all of theirs.
   step[n]: 1/n_i. */
static double bml_mcmc__point_volume(const double *step, size_t i, size_t n) {
    return -expm1(-step[i]) * (i ? 0.5 : 1) + exp(-step[i]) * (i < n - 1 ? -0.5 * expm1(-step[i + 1]) : 1);
}

/* s->sorted = theta [n][d], log L [n], weight [n], 1/n_i [n]; *r filled but for its pointers' uses. */
static int bml_mcmc__evidence(bml_mcmc_nested *s, bml_mcmc_nested_result *r) {
    size_t D = (size_t)s->config.n_dim;
    size_t n = (size_t)s->now.n_points;
    size_t born = 0;
    double top = -BML_MCMC__INF;
    double z = 0;
    double sum2 = 0;
    double sims = 0;
    double sims2 = 0;
    double log_x = 0;
    BML_MCMC_FREE(s->sorted);
    if (!(s->sorted = bml_mcmc__doubles(n, D + 5))) return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "result");
    double *log_l = s->sorted + n * D;
    double *weight = log_l + n;
    double *step = weight + n;
    double *birth = step + n;
    double *mid = birth + n;
    size_t i;
    for (i = 0; i < n; i++) {
        birth[i] = bml_mcmc__value(s, i, BML_MCMC__BIRTH);
        log_l[i] = s->order[i].log_l;
    }
    qsort(birth, n, sizeof *birth, bml_mcmc__compare_doubles);
    for (i = 0; i < n; i++) {
        memcpy(s->sorted + i * D, bml_mcmc__point(s, s->order[i].index) + D, sizeof(double) * D);
        while (born < n && birth[born] < log_l[i])
            born++;
        step[i] = 1 / (double)(born - i);
        double lower = log_l[i ? i - 1 : 0];
        mid[i] = bml_mcmc__log_add(lower, log_l[i]) - 0.6931471805599453; /* of L, over the interval above it in X */
        double width = log_x + log(-expm1(-step[i]));
        log_x -= step[i];
        weight[i] = mid[i] + width; /* for now: ln of the interval's share */
        if (i == n - 1) weight[i] = bml_mcmc__log_add(weight[i], log_l[i] + log_x);
        top = weight[i] > top ? weight[i] : top;
    }
    for (i = 0; i < n; i++)
        z += exp(weight[i] - top);
    for (int k = 0; k < BML_MCMC__SIMULATIONS; k++) {
        bml_mcmc_rng rng = bml_mcmc__stream(s->config.seed, 0xFFFFFFFCu, (uint32_t)k, 0);
        double sum = 0;
        double x = 0;
        for (i = 0; i < n; i++) {
            double shrink = log(bml_mcmc_rng_uniform(&rng)) * step[i];
            if (weight[i] - top > -50) sum += exp(mid[i] - top + x) * -expm1(shrink);
            x += shrink;
        }
        sum = log(sum + exp(log_l[n - 1] - top + x) + DBL_MIN);
        sims += sum / BML_MCMC__SIMULATIONS;
        sims2 += sum * sum / BML_MCMC__SIMULATIONS;
    }
    r->log_z = top + log(z);
    r->information = -r->log_z;
    r->log_z_error =
        sqrt((sims2 > sims * sims ? sims2 - sims * sims : 0) * BML_MCMC__SIMULATIONS / (BML_MCMC__SIMULATIONS - 1.0));
    for (i = 0, log_x = 0; i < n; i++) {
        double share = exp(log_l[i] + log_x - r->log_z) * bml_mcmc__point_volume(step, i, n);
        log_x -= step[i];
        weight[i] = log_l[i] > -DBL_MAX ? share : 0;
        sum2 += weight[i] * weight[i];
        if (weight[i] > 0) r->information += weight[i] * log_l[i];
    }
    r->ess = 1 / sum2;
    s->sorted_n = n;
    return BML_MCMC_OK;
}

/* p-value of Kolmogorov and Smirnov's test that x[n], sorted here, is uniform on (0,1) (Stephens 1970). */
static double bml_mcmc__ks_uniform(double *x, size_t n) {
    double d = 0;
    double root = sqrt((double)n);
    double p = 0;
    double sign = 2;
    qsort(x, n, sizeof *x, bml_mcmc__compare_doubles);
    for (size_t i = 0; i < n; i++) {
        double low = x[i] - (double)i / (double)n;
        double high = (double)(i + 1) / (double)n - x[i];
        d = low > d ? low : d;
        d = high > d ? high : d;
    }
    d *= root + 0.12 + 0.11 / root;
    if (d < 0.3) return 1;
    for (int j = 1; j < 100; j++, sign = -sign)
        p += sign * exp(-2.0 * j * j * d * d);
    return p < 0 ? 0 : p > 1 ? 1 : p;
}

/* The whole run at once finds what is always wrong, its pieces of live_points find what is wrong for a while; the
   smaller p-value counts, corrected for the number of looks. */

/* The result of bml_mcmc__evidence under s->other: the points keep their volumes. The new weights differ from the old by
   more than the volumes' errors; that part of the error of ln Z is the delta method's for a mean of ratios. */
static int bml_mcmc__other_evidence(bml_mcmc_nested *s, bml_mcmc_nested_result *r) {
    size_t n = s->sorted_n;
    double *log_l = s->sorted + n * (size_t)s->config.n_dim;
    double *weight = log_l + n;
    double *step = weight + n;
    double *share = step + n;
    double log_x = 0;
    double top = -BML_MCMC__INF;
    double z = 0;
    double sum2 = 0;
    double moved = 0;
    for (size_t i = 0; i < n; i++) {
        share[i] = s->other[i] + log_x + log(bml_mcmc__point_volume(step, i, n));
        log_x -= step[i];
        top = share[i] > top ? share[i] : top;
    }
    if (top == -BML_MCMC__INF) return bml_mcmc__fail(s->message, BML_MCMC_NO_SUPPORT, "-infinity at all points");
    for (size_t i = 0; i < n; i++)
        z += exp(share[i] - top);
    r->log_z = top + log(z);
    r->information = -r->log_z;
    for (size_t i = 0; i < n; i++) {
        double w = exp(share[i] - r->log_z);
        moved += (w - weight[i]) * (w - weight[i]);
        sum2 += w * w;
        if (w > 0) r->information += w * s->other[i];
        log_l[i] = s->other[i];
        weight[i] = w;
    }
    r->log_z_error = sqrt(r->log_z_error * r->log_z_error + moved);
    r->ess = 1 / sum2;
    return BML_MCMC_OK;
}

static int bml_mcmc__rank_test(bml_mcmc_nested *s, double *p_value) {
    size_t n = (size_t)s->now.n_points;
    size_t used = 0;
    size_t K = (size_t)s->config.live_points;
    size_t pieces = 0;
    double *x = bml_mcmc__doubles(n + 1, 1);
    double worst = 1;
    if (!x) return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "rank test");
    for (size_t i = 0; i < n; i++) {
        double rank = bml_mcmc__value(s, i, BML_MCMC__RANK);
        if (rank == rank) x[used++] = rank;
    }
    double p;
    for (size_t i = 0; i + K <= used; i += K, pieces++) {
        p = bml_mcmc__ks_uniform(x + i, K);
        worst = p < worst ? p : worst;
    }
    worst = -expm1((double)pieces * log1p(-(worst < 1 ? worst : 0.999999)));
    p = used ? bml_mcmc__ks_uniform(x, used) : 1;
    if (pieces) {
        p = p < worst ? p : worst;
        p = p * (2 - p);
    }
    *p_value = p;
    BML_MCMC_FREE(x);
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_nested_get_result(bml_mcmc_nested *s, bml_mcmc_nested_result *r) {
    if (!s || !r) return BML_MCMC_BAD_ARGUMENT;
    const bml_mcmc_nested_config *c = &s->config;
    memset(r, 0, sizeof *r);
    if (!s->now.n_points) return bml_mcmc__fail(s->message, BML_MCMC_NOT_STARTED, "no round has been made");
    int status;
    if ((status = bml_mcmc__sort_points(s, 1)) != BML_MCMC_OK) return status;
    if (s->order[s->n_live - 1].log_l == -DBL_MAX)
        return bml_mcmc__fail(s->message, BML_MCMC_NO_SUPPORT, "-infinity at all points so far");
    if ((status = bml_mcmc__evidence(s, r)) != BML_MCMC_OK ||
        (s->other && (status = bml_mcmc__other_evidence(s, r)) != BML_MCMC_OK) ||
        (status = bml_mcmc__rank_test(s, &r->rank_p)) != BML_MCMC_OK)
        return status;
    r->rank_ok = r->rank_p >= 0.001;
    r->remaining = s->now.remaining;
    r->converged = s->now.pass_over && !(c->error > 0 && !(r->log_z_error <= c->error)) && !(r->ess < c->min_ess);
    r->evaluations = s->now.evaluations;
    r->slice_evaluations = s->now.slice_evaluations;
    r->passes = (int)s->now.pass;
    r->sweeps = s->now.slice_evaluations ? (int)s->now.sweeps : 0;
    r->sweep_correlation = s->now.correlation;
    r->n_points = s->sorted_n;
    r->theta = s->sorted;
    r->log_likelihood = s->sorted + s->sorted_n * (size_t)c->n_dim;
    r->weight = r->log_likelihood + s->sorted_n;
    for (size_t i = 0; i < s->sorted_n && r->log_likelihood[i] == -DBL_MAX; i++)
        s->sorted[s->sorted_n * (size_t)c->n_dim + i] = -BML_MCMC__INF;
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_nested_reweigh(bml_mcmc_nested *s, bml_mcmc_nested_result *result, const double *log_l) {
    if (!s || !log_l) return BML_MCMC_BAD_ARGUMENT;
    bml_mcmc_nested_result r;
    int status;
    if ((status = bml_mcmc_nested_get_result(s, &r)) != BML_MCMC_OK) return status;
    for (size_t i = 0; i < r.n_points; i++) {
        if (log_l[i] < BML_MCMC__INF) continue;
        return bml_mcmc__fail(s->message, log_l[i] != log_l[i] ? BML_MCMC_NAN : BML_MCMC_INFINITE,
                              "new log-likelihood of point %llu", (unsigned long long)i);
    }
    double *other;
    if (!(other = bml_mcmc__doubles(r.n_points, 1)))
        return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "%llu points", (unsigned long long)r.n_points);
    memcpy(other, log_l, sizeof(double) * r.n_points);
    BML_MCMC_FREE(s->other);
    s->other = other;
    if ((status = bml_mcmc_nested_get_result(s, result ? result : &r)) == BML_MCMC_OK) return status;
    BML_MCMC_FREE(s->other);
    s->other = NULL;
    return status;
}

/* The next dynamic pass covers the part of the run that matters (Higson et al. 2019, eq. 12-14): for the error of ln Z
   the evidence above a point over the number of live points there, for the ESS the weight of the point. */
static void bml_mcmc__plan(bml_mcmc_nested *s, const bml_mcmc_nested_result *r) {
    bml_mcmc__nested_state *now = &s->now;
    const double *weight = r->weight;
    const double *step = weight + r->n_points;
    int evidence = s->config.error > 0 && !(r->log_z_error <= s->config.error);
    double most = 0;
    double above;
    size_t i;
    size_t n = r->n_points;
    size_t first = n;
    size_t last = 0;
    for (size_t look = 0; look < 2; look++)
        for (i = n, above = 0; i-- > 0;) {
            double matters = evidence ? (above += weight[i]) * step[i] : weight[i];
            if (look == 0 && matters > most && i < n - (size_t)s->config.live_points / 2) most = matters;
            if (look == 1 && matters >= 0.25 * most && i < n - (size_t)s->config.live_points / 2) {
                first = i;
                last = last ? last : i;
            }
        }
    now->low = first > 0 && first < n ? r->log_likelihood[first - 1] : -BML_MCMC__INF;
    if (first > 0 && now->low < -DBL_MAX) now->low = -DBL_MAX;
    now->high = r->log_likelihood[last];
    for (i = 0; i < now->n_points; i++)
        bml_mcmc__point(s, i)[2 * s->config.n_dim + BML_MCMC__LIVE] = 0;
    now->pass++;
    now->pass_over = 0;
    now->threshold = now->low;
    now->efficiency = 0.3;
}

BML_MCMC_DEF int bml_mcmc_nested_run(bml_mcmc_nested *s, uint64_t evaluations) {
    if (!s) return BML_MCMC_BAD_ARGUMENT;
    s->message[0] = 0;
    BML_MCMC_FREE(s->other);
    s->other = NULL;
    bml_mcmc_nested_result r;
    int status;
    for (uint64_t start = s->now.evaluations;;) {
        if (s->now.pass_over) {
            if ((status = bml_mcmc_nested_get_result(s, &r)) != BML_MCMC_OK) return status;
            if (r.converged) return BML_MCMC_OK;
        }
        if (evaluations && s->now.evaluations - start >= evaluations)
            return bml_mcmc__fail(s->message, BML_MCMC_NOT_CONVERGED,
                                  "%llu evaluations made; the live points could still hold %.3g of the evidence",
                                  (unsigned long long)s->now.evaluations, s->now.remaining);
        if (s->now.pass_over) bml_mcmc__plan(s, &r);
        if ((status = bml_mcmc__round(s)) != BML_MCMC_OK) return status;
    }
}

BML_MCMC_DEF int bml_mcmc_nested_draw(bml_mcmc_nested *s, double *theta, double *log_likelihood, size_t n,
                                      uint64_t seed) {
    bml_mcmc_nested_result r;
    size_t j = 0;
    int status = bml_mcmc_nested_get_result(s, &r);
    if (status) return status;
    if (!theta || !n) return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "theta is missing or n is 0");
    size_t D = (size_t)s->config.n_dim;
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, seed, 0);
    double u = bml_mcmc_rng_uniform(&rng);
    size_t i;
    double sum;
    for (i = 0, sum = r.weight[0]; i < n; i++) { /* draw i goes to a random place among those so far */
        size_t at = (size_t)(bml_mcmc_rng_uniform(&rng) * (double)(i + 1));
        while (j < r.n_points - 1 && sum < ((double)i + u) / (double)n)
            sum += r.weight[++j];
        memcpy(theta + i * D, theta + at * D, sizeof(double) * D);
        memcpy(theta + at * D, r.theta + j * D, sizeof(double) * D);
        if (log_likelihood) {
            log_likelihood[i] = log_likelihood[at];
            log_likelihood[at] = r.log_likelihood[j];
        }
    }
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_nested_summary(bml_mcmc_nested *s, bml_mcmc_summary *out) {
    static const double quantile[3] = {0.5, 0.15865525393145705, 0.8413447460685429};
    bml_mcmc_nested_result r;
    int status = out ? bml_mcmc_nested_get_result(s, &r) : BML_MCMC_BAD_ARGUMENT;
    if (status) return status;
    bml_mcmc__key *key = s->order;
    int d = s->config.n_dim; /* order has room for all points, and serves no more */
    for (int k = 0; k < d; k++) {
        double value[3] = {0};
        double sum2 = 0;
        double before = 0;
        memset(out + k, 0, sizeof *out);
        for (size_t i = 0; i < r.n_points; i++) {
            key[i].log_l = r.theta[i * (size_t)d + (size_t)k];
            key[i].tie = 0;
            key[i].index = i;
            out[k].mean += r.weight[i] * key[i].log_l;
        }
        qsort(key, r.n_points, sizeof *key, bml_mcmc__compare_keys);
        for (size_t i = 0; i < r.n_points; i++) {
            double w = r.weight[key[i].index];
            double at = before + w;
            double x = key[i].log_l;
            sum2 += w * (x - out[k].mean) * (x - out[k].mean);
            for (int q = 0; q < 3; q++)
                if (before <= quantile[q] && at > quantile[q]) value[q] = x;
            before = at;
        }
        out[k].sd = sqrt(sum2);
        out[k].ess = r.ess;
        out[k].median = value[0];
        out[k].minus = value[0] - value[1];
        out[k].plus = value[2] - value[0];
        out[k].tau = out[k].rhat = BML_MCMC__NAN;
    }
    return BML_MCMC_OK;
}

/* >> nested sampling: create, free, save, load */

static int bml_mcmc__nested_config_check(bml_mcmc_nested *s, const bml_mcmc_nested_config *given) {
    bml_mcmc_nested_config *c = &s->config;
    *c = *given;
    if (!c->log_likelihood) return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "log_likelihood is missing");
    if (c->n_dim < 1 || c->n_dim > 1000)
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "n_dim is %d, must be within 1 and 1000", c->n_dim);
    if (!c->prior == !c->transform)
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT,
                              "either prior or transform must be given, and not both");
    if (c->prior && c->prior->n_dim != c->n_dim)
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "the prior has %d dimensions, the sampler %d",
                              c->prior->n_dim, c->n_dim);
    if (!c->live_points) c->live_points = 10 * c->n_dim > 400 ? 10 * c->n_dim : 400;
    int least = c->n_dim + 1 > 4 ? c->n_dim + 1 : 4;
    if (c->live_points < least || c->live_points > 1000000)
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT,
                              "%d live points for %d dimensions: %d to 1000000 are possible", c->live_points, c->n_dim,
                              least);
    if (!c->replace) c->replace = c->live_points / 5 > 0 ? c->live_points / 5 : 1;
    if (c->replace < 1 || c->replace > c->live_points / 2)
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT,
                              "replace is %d, must be within 1 and half of the live points", c->replace);
    if (!(c->remaining != 0)) c->remaining = 0.01;
    if (!(c->remaining > 0 && c->remaining < 1) || !(c->error >= 0 && c->error <= DBL_MAX) ||
        !(c->min_ess >= 0 && c->min_ess <= DBL_MAX))
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT,
                              "remaining must be within 0 and 1, error and min_ess not negative");
    if (c->method < BML_MCMC_NESTED_AUTO || c->method > BML_MCMC_NESTED_SLICE || c->sweeps < 0 || c->sweeps > 1000)
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT,
                              "there is no method %d, or sweeps is not within 0 and 1000", c->method);
    return BML_MCMC_OK;
}

static int bml_mcmc__nested_allocate(bml_mcmc_nested *s, const unsigned char *wrapped) {
    size_t D = (size_t)s->config.n_dim;
    bml_mcmc__region *r = &s->region;
    r->d = s->config.n_dim;
    unsigned char *copy = (unsigned char *)bml_mcmc__alloc(D, 1, 1);
    s->config.wrapped = copy;
    r->cut = bml_mcmc__doubles(D, 1);
    r->L = bml_mcmc__doubles(D, D);
    r->A = bml_mcmc__doubles(D, D);
    r->scratch = bml_mcmc__doubles(4, D);
    s->jump = bml_mcmc__doubles(2, D + 1);
    if (!copy || !r->cut || !r->L || !r->A || !r->scratch || !s->jump) return BML_MCMC_NO_MEMORY;
    if (wrapped) memcpy(copy, wrapped, D);
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_nested_create(bml_mcmc_nested **out, const bml_mcmc_nested_config *config, char *why) {
    if (why) why[0] = 0;
    if (!out) return bml_mcmc__refuse(why, BML_MCMC_BAD_ARGUMENT, "there is no place for the sampler");
    *out = NULL;
    if (!config) return bml_mcmc__refuse(why, BML_MCMC_BAD_ARGUMENT, "config is missing");
    bml_mcmc_nested *s = (bml_mcmc_nested *)bml_mcmc__alloc(1, 1, sizeof *s);
    if (!s) return bml_mcmc__refuse(why, BML_MCMC_NO_MEMORY, NULL);
    int status = bml_mcmc__nested_config_check(s, config);
    s->config.wrapped = NULL;
    if (!status) status = bml_mcmc__nested_allocate(s, config->wrapped);
    if (status) {
        bml_mcmc__refuse(why, status, s->message);
        bml_mcmc_nested_free(s);
        return status;
    }
    s->now.method =
        s->config.method == BML_MCMC_NESTED_AUTO ? (uint64_t)BML_MCMC_NESTED_REGION : (uint64_t)s->config.method;
    s->now.sweeps = s->config.sweeps ? (uint64_t)s->config.sweeps : 3 + (uint64_t)s->config.n_dim / 12;
    s->now.low = s->now.threshold = -BML_MCMC__INF;
    s->now.log_z = -DBL_MAX;
    s->now.remaining = s->now.efficiency = 1;
    *out = s;
    return BML_MCMC_OK;
}

BML_MCMC_DEF void bml_mcmc_nested_free(bml_mcmc_nested *s) {
    if (!s) return;
    bml_mcmc__region_free(&s->region);
    BML_MCMC_FREE((void *)(size_t)s->config.wrapped);
    BML_MCMC_FREE(s->point);
    BML_MCMC_FREE(s->jump);
    BML_MCMC_FREE(s->order);
    BML_MCMC_FREE(s->sorted);
    BML_MCMC_FREE(s->other);
    BML_MCMC_FREE(s->trial_cube);
    BML_MCMC_FREE(s->trial_theta);
    BML_MCMC_FREE(s->trial_log_l);
    BML_MCMC_FREE(s);
}

BML_MCMC_DEF const char *bml_mcmc_nested_message(const bml_mcmc_nested *s) {
    return s ? s->message : "";
}

/* The words that a state must share with the sampler it is loaded into. */
static void bml_mcmc__nested_fingerprint(uint64_t *words /*[BML_MCMC__FIXED]*/, const bml_mcmc_nested *s) {
    memset(words, 0, 8 * BML_MCMC__FIXED);
    words[0] = (uint64_t)s->config.n_dim;
    words[1] = (uint64_t)s->config.live_points;
    words[2] = s->config.seed;
    words[3] = (uint64_t)s->config.method;
    words[4] = (uint64_t)s->config.sweeps;
    words[5] = (uint64_t)s->config.replace;
    for (int k = 0; k < s->config.n_dim; k++)
        words[6] = (words[6] ^ (uint64_t)s->config.wrapped[k]) * 1099511628211ull + 1;
}

static size_t bml_mcmc__nested_words(const bml_mcmc_nested *s, size_t n_points) {
    size_t D = (size_t)s->config.n_dim;
    return BML_MCMC__HEAD + BML_MCMC__FIXED + 1 + sizeof s->now / 8 + D + 1 + n_points * (2 * D + BML_MCMC__EXTRA);
}

BML_MCMC_DEF size_t bml_mcmc_nested_save_size(const bml_mcmc_nested *s) {
    return s && s->now.n_points ? 8 * bml_mcmc__nested_words(s, (size_t)s->now.n_points) : 0;
}

BML_MCMC_DEF int bml_mcmc_nested_save(bml_mcmc_nested *s, void *buffer, size_t size) {
    uint64_t fixed[BML_MCMC__FIXED];
    unsigned char *at = (unsigned char *)buffer;
    if (!s) return BML_MCMC_BAD_ARGUMENT;
    size_t D = (size_t)s->config.n_dim;
    bml_mcmc__nested_fingerprint(fixed, s);
    int status = bml_mcmc__save_head(s->message, &at, size, bml_mcmc_nested_save_size(s), fixed, s->now.n_points);
    if (status) return status;
    bml_mcmc__words(&at, &s->now, sizeof s->now / 8, 0);
    bml_mcmc__words(&at, s->jump, D + 1, 0);
    bml_mcmc__words(&at, s->point, (size_t)s->now.n_points * (2 * D + BML_MCMC__EXTRA), 0);
    bml_mcmc__seal(buffer, bml_mcmc_nested_save_size(s), BML_MCMC__KIND_NESTED);
    return BML_MCMC_OK;
}

/* Some of the saved points must have their likelihoods here too: another problem does not pass. */
static int bml_mcmc__nested_problem(bml_mcmc_nested *s, const unsigned char *points, size_t n) {
    size_t D = (size_t)s->config.n_dim;
    size_t row = 2 * D + BML_MCMC__EXTRA;
    size_t m = n < 50 ? n : 50;
    uint64_t evaluations = s->now.evaluations;
    int status = bml_mcmc__trials(s, m);
    for (size_t i = 0; i < m && !status; i++)
        memcpy(s->trial_cube + i * D, points + 8 * row * (i * (n - 1) / (m > 1 ? m - 1 : 1)), 8 * D);
    if (!status) status = bml_mcmc__try(s, m);
    s->now.evaluations = evaluations;
    double saved;
    for (size_t i = 0; i < m && !status; i++) {
        memcpy(&saved, points + 8 * (row * (i * (n - 1) / (m > 1 ? m - 1 : 1)) + 2 * D + BML_MCMC__LOG_L), 8);
        if (!(fabs(saved - s->trial_log_l[i]) <= 1e-6 * (1 + fabs(saved))))
            status = bml_mcmc__fail(s->message, BML_MCMC_BAD_STATE,
                                    "log-likelihood %.10g saved, %.10g now: another problem", saved, s->trial_log_l[i]);
    }
    return status;
}

BML_MCMC_DEF int bml_mcmc_nested_load(bml_mcmc_nested *s, const void *buffer, size_t size) {
    static const char *const names[7] = {"n_dim", "live_points", "seed", "method", "sweeps", "replace", "wrapped"};
    uint64_t fixed[BML_MCMC__FIXED];
    size_t n = 0;
    if (!s) return BML_MCMC_BAD_ARGUMENT;
    bml_mcmc__nested_fingerprint(fixed, s);
    size_t D = (size_t)s->config.n_dim;
    size_t least = 8 * bml_mcmc__nested_words(s, 0);
    int status = bml_mcmc__check_head(s->message, buffer, size, BML_MCMC__KIND_NESTED, fixed, names, 7, least,
                                      8 * bml_mcmc__nested_words(s, 1) - least, &n);
    if (!status && n < 1) status = bml_mcmc__fail(s->message, BML_MCMC_BAD_STATE, "no points");
    unsigned char *at = (unsigned char *)(size_t)buffer + least; /* only read from */
    if (!status) status = bml_mcmc__nested_problem(s, at, n);
    if (status) return status;
    size_t bytes = 8 * n * (2 * D + BML_MCMC__EXTRA);
    double *point;
    if (!(point = (double *)BML_MCMC_MALLOC(bytes)))
        return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "%llu points", (unsigned long long)n);
    BML_MCMC_FREE(s->point);
    BML_MCMC_FREE(s->other);
    s->point = point;
    s->capacity = n;
    s->other = NULL;
    memcpy(point, at, bytes);
    at = (unsigned char *)(size_t)buffer + 8 * (BML_MCMC__HEAD + BML_MCMC__FIXED + 1);
    bml_mcmc__words(&at, &s->now, sizeof s->now / 8, 1);
    bml_mcmc__words(&at, s->jump, D + 1, 1);
    s->now.n_points = n;
    s->message[0] = 0;
    return BML_MCMC_OK;
}

/* >> NUTS
   The chains go ahead independently; each asks for one gradient at a time, and all that are asked for go to the
   callback together. A draw is a trajectory doubled forwards or backwards until its ends come nearer to each other
   (Hoffman & Gelman 2014, eq. 9), sampled by weights exp(-H): evenly inside a doubling, in favour of the later half
   between doublings (Betancourt 2017, A.3.2). Halves of halves are checked for their own turns with one stored state
   per level. A draw's random numbers are its own stream, and nothing but a whole draw changes the chain: cut short, it
   is made again. */

#define BML_MCMC__DIVERGENT 1000.0 /* energy error [nats] */
enum { BML_MCMC__MAX_DEPTH = 16, BML_MCMC__FIND = 0, BML_MCMC__TREE };

typedef struct bml_mcmc__place {
    double *y, *p, *g;
} bml_mcmc__place; /* [d] each: position, momentum, gradient */

/* What stays from draw to draw, words of 8 bytes each; and the arrays below it, in one block. */
typedef struct bml_mcmc__nuts_kept {
    uint64_t draws, kept, divergences, walls, deep, gradients_kept, need_step, window, adapted;
    double log_prob, step, mu, mean_error, log_mean_step, accept;
} bml_mcmc__nuts_kept;

typedef struct bml_mcmc__nuts_chain {
    bml_mcmc__nuts_kept k;
    double *block;                 /* all that follows, saved: */
    double *y, *g, *L, *mean, *M2; /* [d] [d]; covariance L L^T, the inverse mass: sd [d] or [d][d]; of the window */
    double *L_inverse;             /* [d][d], dense only */
    bml_mcmc__place left, right, now, edge[BML_MCMC__MAX_DEPTH];
    double *tree_y, *tree_g, *half_y, *half_g, *scratch;
    double tree_log_prob, half_log_prob, tree_weight, half_weight, energy, sum_accept;
    double direction, try_step;
    int mode, depth, leaves, active, tried;
    bml_mcmc_rng rng;
} bml_mcmc__nuts_chain;

struct bml_mcmc_nuts {
    bml_mcmc_nuts_config config;
    int started;
    double *lower, *upper, *theta, *gradient, *log_prob; /* [d] [d] [n_chains][d] [n_chains][d] [n_chains] */
    int *who;                                            /* [n_chains] rows of the batch */
    double *steps;                                       /* [n_chains], for info */
    bml_mcmc__nuts_chain *chain;
    double *draws, *draws_log_prob; /* [capacity][n_chains][d], [capacity][n_chains] */
    size_t capacity;
    uint64_t gradients;
    char message[BML_MCMC_MESSAGE];
};

/* theta of y in one parameter; *slope = d theta/dy, *log_j = ln |slope|, *d_log_j its derivative. */
static double bml_mcmc__bounded(double y, double lower, double upper, double *slope, double *log_j, double *d_log_j) {
    double t = exp(-fabs(y));
    double small = t / (1 + t);
    if (lower > -DBL_MAX && upper < DBL_MAX) { /* lower + (upper - lower)/(1 + e^-y) */
        *slope = (upper - lower) * t / ((1 + t) * (1 + t));
        *log_j = log(upper - lower) - fabs(y) - 2 * log1p(t);
        *d_log_j = y > 0 ? 2 * small - 1 : 1 - 2 * small;
        return y > 0 ? upper - (upper - lower) * small : lower + (upper - lower) * small;
    }
    *slope = 1;
    *log_j = *d_log_j = 0;
    if (!(lower > -DBL_MAX) && !(upper < DBL_MAX)) return y;
    double e = exp(y);
    *log_j = y;
    *d_log_j = 1; /* lower + e^y, upper - e^y */
    *slope = lower > -DBL_MAX ? e : -e;
    return lower > -DBL_MAX ? lower + e : upper - e;
}

/* Log-probability of y with the Jacobian, and its gradient, from those of theta. */
static double bml_mcmc__pull_back(double *g, const bml_mcmc_nuts *s, const double *y, double log_prob,
                                  const double *gradient) {
    for (int k = 0; k < s->config.n_dim; k++) {
        double slope;
        double log_j;
        double d_log_j;
        bml_mcmc__bounded(y[k], s->lower[k], s->upper[k], &slope, &log_j, &d_log_j);
        g[k] = gradient[k] * slope + d_log_j;
        log_prob += log_j;
    }
    return log_prob;
}

/* v = L^T p; |v|^2/2 is the kinetic energy. */
static double bml_mcmc__kinetic(const bml_mcmc_nuts *s, const bml_mcmc__nuts_chain *c, double *v, const double *p) {
    int d = s->config.n_dim;
    double sum = 0;
    for (int i = 0; i < d; i++) {
        v[i] = s->config.metric == BML_MCMC_DENSE ? 0 : c->L[i] * p[i];
        for (int j = i; j < d && s->config.metric == BML_MCMC_DENSE; j++)
            v[i] += c->L[j * d + i] * p[j];
        sum += 0.5 * v[i] * v[i];
    }
    return sum;
}

/* y += step L v, with v = L^T p from above. */
static void bml_mcmc__drift(const bml_mcmc_nuts *s, const bml_mcmc__nuts_chain *c, double *y, const double *v,
                            double step) {
    int d = s->config.n_dim;
    for (int i = 0; i < d; i++) {
        double t = s->config.metric == BML_MCMC_DENSE ? 0 : c->L[i] * v[i];
        for (int j = 0; j <= i && s->config.metric == BML_MCMC_DENSE; j++)
            t += c->L[i * d + j] * v[j];
        y[i] += step * t;
    }
}

/* A momentum p = L^-T z, and the energy of the point it starts from. */
static void bml_mcmc__kick(const bml_mcmc_nuts *s, bml_mcmc__nuts_chain *c, double *p) {
    int d = s->config.n_dim;
    double *z = c->scratch;
    double kinetic = 0;
    for (int i = 0; i < d; i++) {
        z[i] = bml_mcmc_rng_normal(&c->rng);
        kinetic += 0.5 * z[i] * z[i];
    }
    for (int i = 0; i < d; i++) {
        p[i] = s->config.metric == BML_MCMC_DENSE ? 0 : z[i] / c->L[i];
        for (int j = i; j < d && s->config.metric == BML_MCMC_DENSE; j++)
            p[i] += c->L_inverse[j * d + i] * z[j];
    }
    c->energy = kinetic - c->k.log_prob;
}

static void bml_mcmc__copy_place(bml_mcmc__place *to, const bml_mcmc__place *from, int d) {
    memcpy(to->y, from->y, sizeof(double) * (size_t)d);
    memcpy(to->p, from->p, sizeof(double) * (size_t)d);
    memcpy(to->g, from->g, sizeof(double) * (size_t)d);
}

/* Chain number i begins: a search for a step size, or a draw. */
static void bml_mcmc__begin_draw(bml_mcmc_nuts *s, int i) {
    bml_mcmc__nuts_chain *c = s->chain + i;
    int d = s->config.n_dim;
    size_t bytes = sizeof(double) * (size_t)d;
    uint64_t number = 2 * c->k.draws + (c->k.need_step != 0);
    c->rng = bml_mcmc__stream(s->config.seed, (uint32_t)i, (uint32_t)number, 0x80000000u | (uint32_t)(number >> 32));
    c->mode = c->k.need_step ? BML_MCMC__FIND : BML_MCMC__TREE;
    memcpy(c->now.y, c->y, bytes);
    memcpy(c->now.g, c->g, bytes);
    bml_mcmc__kick(s, c, c->now.p);
    c->depth = c->leaves = c->tried = 0;
    c->sum_accept = c->tree_weight = 0;
    c->direction = 1;
    c->try_step = c->k.step;
    if (c->mode == BML_MCMC__FIND) return;
    bml_mcmc__copy_place(&c->left, &c->now, d);
    bml_mcmc__copy_place(&c->right, &c->now, d);
    memcpy(c->tree_y, c->y, bytes);
    memcpy(c->tree_g, c->g, bytes);
    c->tree_log_prob = c->k.log_prob;
    c->half_weight = -BML_MCMC__INF;
    c->direction = bml_mcmc_rng_uniform(&c->rng) < 0.5 ? -1 : 1;
}

/* First half of a leapfrog step: now.y is the point whose gradient is wanted. */
static void bml_mcmc__leap(const bml_mcmc_nuts *s, bml_mcmc__nuts_chain *c) {
    int d = s->config.n_dim;
    double step = c->direction * c->try_step;
    for (int k = 0; k < d; k++)
        c->now.p[k] += 0.5 * step * c->now.g[k];
    bml_mcmc__kinetic(s, c, c->scratch, c->now.p);
    bml_mcmc__drift(s, c, c->now.y, c->scratch, step);
}

/* Do the places turn towards each other? b follows a in the direction of building. */
static int bml_mcmc__turns(const bml_mcmc__place *a, const bml_mcmc__place *b, double direction, int d) {
    double along_a = 0;
    double along_b = 0;
    for (int k = 0; k < d; k++) {
        along_a += (b->y[k] - a->y[k]) * a->p[k];
        along_b += (b->y[k] - a->y[k]) * b->p[k];
    }
    return !(direction * along_a > 0 && direction * along_b > 0);
}

/* Leaf number n of a doubling is in: keep the state of even ones, by the number of ones in n/2, and check odd ones
   against the first leaf of each subtree that they end. */
static int bml_mcmc__subtree_turns(bml_mcmc__nuts_chain *c, int n, int d) {
    int level = 0;
    int ended = 0;
    for (int i = n >> 1; i; i &= i - 1)
        level++;
    if (n % 2 == 0) {
        bml_mcmc__copy_place(&c->edge[level], &c->now, d);
        return 0;
    }
    for (int i = n; i & 1; i >>= 1)
        ended++;
    for (int i = level; i > level - ended; i--)
        if (bml_mcmc__turns(&c->edge[i], &c->now, c->direction, d)) return 1;
    return 0;
}

/* Second half of the step, and what follows. Returns 1 at the end of
   a draw; *divergent (2: at -infinity), *deep say how. */
static int bml_mcmc__grow(bml_mcmc_nuts *s, bml_mcmc__nuts_chain *c, double log_prob, int *divergent, int *deep) {
    int d = s->config.n_dim;
    size_t bytes = sizeof(double) * (size_t)d;
    for (int k = 0; k < d; k++)
        c->now.p[k] += 0.5 * c->direction * c->try_step * c->now.g[k];
    double error = bml_mcmc__kinetic(s, c, c->scratch, c->now.p) - log_prob - c->energy;
    if (!(error < BML_MCMC__DIVERGENT)) error = BML_MCMC__INF;
    c->sum_accept += error > 0 ? exp(-error) : 1;
    c->tried++;
    *divergent = error > BML_MCMC__DIVERGENT ? 1 + !(log_prob > -DBL_MAX) : 0;
    if (*divergent) return 1;
    c->half_weight = c->half_weight > -BML_MCMC__INF ? bml_mcmc__log_add(c->half_weight, -error) : -error;
    if (log(bml_mcmc_rng_uniform(&c->rng)) < -error - c->half_weight) {
        memcpy(c->half_y, c->now.y, bytes);
        memcpy(c->half_g, c->now.g, bytes);
        c->half_log_prob = log_prob;
    }
    if (bml_mcmc__subtree_turns(c, c->leaves, d)) return 1;
    if (++c->leaves < 1 << c->depth) return 0;
    bml_mcmc__copy_place(c->direction > 0 ? &c->right : &c->left, &c->now, d);
    if (log(bml_mcmc_rng_uniform(&c->rng)) < c->half_weight - c->tree_weight) {
        memcpy(c->tree_y, c->half_y, bytes);
        memcpy(c->tree_g, c->half_g, bytes);
        c->tree_log_prob = c->half_log_prob;
    }
    c->tree_weight = bml_mcmc__log_add(c->tree_weight, c->half_weight);
    if (bml_mcmc__turns(&c->left, &c->right, 1, d)) return 1;
    if ((*deep = ++c->depth == s->config.max_depth) != 0) return 1;
    c->direction = bml_mcmc_rng_uniform(&c->rng) < 0.5 ? -1 : 1;
    bml_mcmc__copy_place(&c->now, c->direction > 0 ? &c->right : &c->left, d);
    c->leaves = 0;
    c->half_weight = -BML_MCMC__INF;
    return 0;
}

/* Hoffman & Gelman 2014, algorithm 4: the step is doubled or halved until one leap's acceptance crosses 0.8. */
static int bml_mcmc__find_step(bml_mcmc_nuts *s, bml_mcmc__nuts_chain *c, double log_prob) {
    int d = s->config.n_dim;
    size_t bytes = sizeof(double) * (size_t)d;
    for (int k = 0; k < d; k++)
        c->now.p[k] += 0.5 * c->try_step * c->now.g[k];
    int good = bml_mcmc__kinetic(s, c, c->scratch, c->now.p) - log_prob - c->energy < 0.2231435513142098; /* -ln 0.8 */
    if (!c->tried++) c->depth = good ? 1 : -1;
    if (good != (c->depth > 0) || c->tried > 100) {
        c->k.step = c->try_step;
        c->k.mu = log(10 * c->try_step);
        c->k.mean_error = c->k.log_mean_step = 0;
        c->k.adapted = c->k.need_step = 0;
        return 1;
    }
    c->try_step *= c->depth > 0 ? 2 : 0.5;
    memcpy(c->now.y, c->y, bytes);
    memcpy(c->now.g, c->g, bytes);
    bml_mcmc__kick(s, c, c->now.p);
    return 0;
}

/* Warm-up: 15 % finds the bulk, windows of doubling length give the mass matrix, 10 % settle the step (the ways of
   Stan's manual). 1 at a window's last draw. */
static int bml_mcmc__window_ends(int draw, int warmup) {
    int begin = (15 * warmup) / 100;
    int end = warmup - (10 * warmup) / 100;
    int width = warmup / 40 > 5 ? warmup / 40 : 5;
    if (begin > 75) begin = 75;
    if (end < warmup - 50) end = warmup - 50;
    for (; begin < end; begin += width, width *= 2) {
        int last = begin + 3 * width > end ? end : begin + width; /* the next one would not fit: one long window */
        if (draw == last - 1) return 1;
        if (last == end) return 0;
    }
    return 0;
}

/* The window's covariance, shrunk as in Stan, becomes the inverse mass. */
static void bml_mcmc__new_metric(bml_mcmc_nuts *s, bml_mcmc__nuts_chain *c) {
    int d = s->config.n_dim;
    int dense = s->config.metric == BML_MCMC_DENSE;
    int m = dense ? d * d : d;
    /* dense: in scratch first */
    double n = (double)c->k.window;
    double f = n / (n + 5) / (n - 1);
    double *L = dense ? c->L_inverse : c->L;
    for (int i = 0; i < m; i++)
        L[i] = c->M2[i] * f;
    for (int i = 0; i < d; i++)
        L[dense ? i * d + i : i] += 1e-3 * 5 / (n + 5);
    if (dense) {
        if (bml_mcmc__cholesky(L, d, 1e-14)) memcpy(c->L, L, sizeof(double) * (size_t)m);
        bml_mcmc__invert_lower(c->L_inverse, c->L, d);
    } else
        for (int i = 0; i < d; i++)
            c->L[i] = sqrt(c->L[i]);
    memset(c->mean, 0, sizeof(double) * (size_t)d);
    memset(c->M2, 0, sizeof(double) * (size_t)m);
    c->k.window = 0;
    c->k.need_step = 1;
}

/* A draw of the warm-up: dual averaging of the step (Hoffman &
   Gelman 2014, eq. 6), moments of the window (Welford 1962). */
static void bml_mcmc__adapt(bml_mcmc_nuts *s, bml_mcmc__nuts_chain *c) {
    int d = s->config.n_dim;
    int warmup = s->config.warmup;
    int draw = (int)c->k.draws;
    double m = (double)++c->k.adapted;
    double eta = 1 / (m + 10);
    double power = pow(m, -0.75);
    double *delta = c->scratch;
    c->k.mean_error = (1 - eta) * c->k.mean_error + eta * (s->config.target_accept - c->sum_accept / c->tried);
    double log_step = c->k.mu - sqrt(m) / 0.05 * c->k.mean_error;
    c->k.log_mean_step = power * log_step + (1 - power) * c->k.log_mean_step;
    c->k.step = exp(log_step);
    if (draw >= (15 * warmup / 100 < 75 ? 15 * warmup / 100 : 75)) {
        c->k.window++;
        for (int i = 0; i < d; i++) {
            delta[i] = c->y[i] - c->mean[i];
            c->mean[i] += delta[i] / (double)c->k.window;
        }
        for (int i = 0; i < d; i++) {
            if (s->config.metric != BML_MCMC_DENSE) c->M2[i] += delta[i] * (c->y[i] - c->mean[i]);
            for (int j = 0; j <= i && s->config.metric == BML_MCMC_DENSE; j++)
                c->M2[i * d + j] += delta[i] * (c->y[j] - c->mean[j]);
        }
        if (bml_mcmc__window_ends(draw, warmup)) bml_mcmc__new_metric(s, c);
    }
    if (draw == warmup - 1) {
        c->k.step = exp(c->k.log_mean_step);
        c->k.need_step = 0;
    }
}

/* The end of chain i's draw. */
static void bml_mcmc__end_draw(bml_mcmc_nuts *s, int i, int divergent, int deep) {
    bml_mcmc__nuts_chain *c = s->chain + i;
    size_t D = (size_t)s->config.n_dim;
    size_t at = ((size_t)c->k.kept * (size_t)s->config.n_chains + (size_t)i);
    double unused[3];
    memcpy(c->y, c->tree_y, sizeof(double) * D);
    memcpy(c->g, c->tree_g, sizeof(double) * D);
    c->k.log_prob = c->tree_log_prob;
    if ((int64_t)c->k.draws < s->config.warmup)
        bml_mcmc__adapt(s, c);
    else {
        s->draws_log_prob[at] = c->k.log_prob;
        for (size_t k = 0; k < D; k++) {
            s->draws[at * D + k] = bml_mcmc__bounded(c->y[k], s->lower[k], s->upper[k], unused, unused + 1, unused + 2);
            bml_mcmc__bounded(c->y[k], s->lower[k], s->upper[k], unused, unused + 1, unused + 2);
            s->draws_log_prob[at] -= unused[1]; /* of theta itself */
        }
        c->k.kept++;
        c->k.divergences += divergent == 1;
        c->k.walls += divergent == 2;
        c->k.deep += (uint64_t)deep;
        c->k.gradients_kept += (uint64_t)c->tried;
        c->k.accept += c->sum_accept / c->tried;
    }
    c->k.draws++;
}

/* One gradient of every chain in s->who[n]. */
static int bml_mcmc__nuts_call(bml_mcmc_nuts *s, int n, double *log_prob) {
    int d = s->config.n_dim;
    int k;
    int bad;
    double unused[3];
    for (int i = 0; i < n; i++) {
        bml_mcmc__nuts_chain *c = s->chain + s->who[i];
        for (k = 0, bad = 0; k < d; k++) {
            s->theta[i * d + k] =
                bml_mcmc__bounded(c->now.y[k], s->lower[k], s->upper[k], unused, unused + 1, unused + 2);
            bad |= !(fabs(s->theta[i * d + k]) <= DBL_MAX && fabs(c->now.y[k]) <= DBL_MAX);
            s->gradient[i * d + k] = BML_MCMC__NAN;
        }
        for (k = 0; k < d && bad; k++) /* flown away: asks for where it came from, and is told that it is nowhere */
            s->theta[i * d + k] = bml_mcmc__bounded(c->y[k], s->lower[k], s->upper[k], unused, unused + 1, unused + 2);
        s->log_prob[i] = BML_MCMC__NAN;
        log_prob[i] = bad ? -BML_MCMC__INF : 0;
    }
    s->config.log_prob(s->log_prob, s->gradient, s->theta, n, d, s->config.user);
    s->gradients += (uint64_t)n;
    for (int i = 0; i < n; i++) {
        bml_mcmc__nuts_chain *c = s->chain + s->who[i];
        int status = s->log_prob[i] != s->log_prob[i] ? BML_MCMC_NAN
                     : s->log_prob[i] > DBL_MAX       ? BML_MCMC_INFINITE
                                                      : BML_MCMC_OK;
        for (k = 0; k < d && s->log_prob[i] > -DBL_MAX; k++)
            status = fabs(s->gradient[i * d + k]) <= DBL_MAX ? status : BML_MCMC_NAN;
        if (status) {
            bml_mcmc__fail(s->message, status, "chain %d: log-probability %g or its gradient is not finite at",
                           s->who[i], s->log_prob[i]);
            bml_mcmc__append_point(s->message, s->theta + i * d, d);
            return status;
        }
        if (log_prob[i] < 0 || !(s->log_prob[i] > -DBL_MAX))
            log_prob[i] = -BML_MCMC__INF;
        else
            log_prob[i] = bml_mcmc__pull_back(c->now.g, s, c->now.y, s->log_prob[i], s->gradient + i * d);
    }
    return BML_MCMC_OK;
}

static int bml_mcmc__nuts_reserve(bml_mcmc_nuts *s, size_t target) {
    size_t C = (size_t)s->config.n_chains;
    size_t D = (size_t)s->config.n_dim;
    if (target <= s->capacity) return BML_MCMC_OK;
    size_t bytes;
    size_t bytes_lp;
    if (!bml_mcmc__mul(&bytes, target, C, D * sizeof(double)) || !bml_mcmc__mul(&bytes_lp, target, C, sizeof(double)))
        return bml_mcmc__fail(s->message, BML_MCMC_TOO_LARGE, "%llu draws", (unsigned long long)target);
    double *p;
    if ((p = (double *)BML_MCMC_REALLOC(s->draws, bytes)) != NULL) s->draws = p;
    if (p && (p = (double *)BML_MCMC_REALLOC(s->draws_log_prob, bytes_lp)) != NULL) s->draws_log_prob = p;
    if (!p) return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "%llu draws", (unsigned long long)target);
    s->capacity = target;
    return BML_MCMC_OK;
}

static uint64_t bml_mcmc__nuts_stored(const bml_mcmc_nuts *s, int most) {
    uint64_t kept = s->chain[0].k.kept;
    for (int i = 1; i < s->config.n_chains; i++)
        if (most ? s->chain[i].k.kept > kept : s->chain[i].k.kept < kept) kept = s->chain[i].k.kept;
    return kept;
}

static int bml_mcmc__nuts_report(const bml_mcmc_nuts *s, uint64_t target) {
    bml_mcmc_nuts_progress p;
    memset(&p, 0, sizeof p);
    for (int i = 0; i < s->config.n_chains; i++) {
        p.draws += s->chain[i].k.draws;
        p.divergences += s->chain[i].k.divergences;
    }
    p.last = (target + (uint64_t)s->config.warmup) * (uint64_t)s->config.n_chains;
    p.gradients = s->gradients;
    return s->config.progress(&p, s->config.progress_user);
}

BML_MCMC_DEF int bml_mcmc_nuts_run(bml_mcmc_nuts *s, size_t n_draws) {
    uint64_t finished = 0;
    if (!s) return BML_MCMC_BAD_ARGUMENT;
    if (!s->started) return bml_mcmc__fail(s->message, BML_MCMC_NOT_STARTED, "call bml_mcmc_nuts_start first");
    s->message[0] = 0;
    uint64_t target = bml_mcmc__nuts_stored(s, 0) + n_draws;
    uint64_t most = bml_mcmc__nuts_stored(s, 1);
    target = target > most ? target : most;
    int status;
    if ((status = bml_mcmc__nuts_reserve(s, (size_t)target)) != BML_MCMC_OK) return status;
    for (int i = 0; i < s->config.n_chains; i++)
        s->chain[i].active = 0;
    int n;
    for (;;) {
        uint64_t before = finished;
        for (int i = n = 0; i < s->config.n_chains; i++) {
            bml_mcmc__nuts_chain *c = s->chain + i;
            if (!c->active && c->k.draws >= target + (uint64_t)s->config.warmup) continue;
            if (!c->active) {
                bml_mcmc__begin_draw(s, i);
                c->active = 1;
            }
            bml_mcmc__leap(s, c);
            s->who[n++] = i;
        }
        if (!n) return BML_MCMC_OK;
        if ((status = bml_mcmc__nuts_call(s, n, s->steps)) != BML_MCMC_OK) return status;
        for (int i = 0; i < n; i++) {
            bml_mcmc__nuts_chain *c = s->chain + s->who[i];
            int divergent = 0;
            int deep = 0;
            if (c->mode == BML_MCMC__FIND)
                c->active = !bml_mcmc__find_step(s, c, s->steps[i]);
            else if (bml_mcmc__grow(s, c, s->steps[i], &divergent, &deep)) {
                bml_mcmc__end_draw(s, s->who[i], divergent, deep);
                c->active = 0;
                finished++;
            }
        }
        if (finished / (uint64_t)s->config.n_chains != before / (uint64_t)s->config.n_chains && s->config.progress &&
            bml_mcmc__nuts_report(s, target))
            return bml_mcmc__fail(s->message, BML_MCMC_CANCELLED, "after %llu gradients",
                                  (unsigned long long)s->gradients);
    }
}

/* >> NUTS: create, start, results, save */

static size_t bml_mcmc__nuts_block(const bml_mcmc_nuts *s) { /* doubles saved of each chain */
    size_t D = (size_t)s->config.n_dim;
    size_t m = s->config.metric == BML_MCMC_DENSE ? D * D : D;
    return 3 * D + 2 * m;
}

static int bml_mcmc__nuts_allocate(bml_mcmc_nuts *s) {
    size_t D = (size_t)s->config.n_dim;
    size_t C = (size_t)s->config.n_chains;
    size_t dense = s->config.metric == BML_MCMC_DENSE;
    size_t m = dense ? D * D : D;
    s->lower = bml_mcmc__doubles(D, 1);
    s->upper = bml_mcmc__doubles(D, 1);
    s->theta = bml_mcmc__doubles(C, D);
    s->gradient = bml_mcmc__doubles(C, D);
    s->log_prob = bml_mcmc__doubles(C, 1);
    s->who = (int *)bml_mcmc__alloc(C, 1, sizeof(int));
    s->steps = bml_mcmc__doubles(C, 1);
    s->chain = (bml_mcmc__nuts_chain *)bml_mcmc__alloc(C, 1, sizeof *s->chain);
    if (!s->lower || !s->upper || !s->theta || !s->gradient) return BML_MCMC_NO_MEMORY;
    if (!s->log_prob || !s->who || !s->steps || !s->chain) return BML_MCMC_NO_MEMORY;
    for (int i = 0; i < s->config.n_chains; i++) {
        bml_mcmc__nuts_chain *c = s->chain + i;
        double *p = c->block =
            bml_mcmc__doubles(bml_mcmc__nuts_block(s) + dense * m + D * (3 * (3 + BML_MCMC__MAX_DEPTH) + 5), 1);
        if (!p) return BML_MCMC_NO_MEMORY;
        c->y = p;
        c->g = p + D;
        c->mean = p + 2 * D;
        c->L = p + 3 * D;
        c->M2 = c->L + m;
        p = c->M2 + m;
        c->L_inverse = p;
        p += dense * m;
        for (int k = 0; k < 3 + BML_MCMC__MAX_DEPTH; k++, p += 3 * D) {
            bml_mcmc__place *place = k == 0 ? &c->left : k == 1 ? &c->right : k == 2 ? &c->now : &c->edge[k - 3];
            place->y = p;
            place->p = p + D;
            place->g = p + 2 * D;
        }
        c->tree_y = p;
        c->tree_g = p + D;
        c->half_y = p + 2 * D;
        c->half_g = p + 3 * D;
        c->scratch = p + 4 * D;
    }
    return BML_MCMC_OK;
}

static int bml_mcmc__nuts_config_check(bml_mcmc_nuts *s) {
    bml_mcmc_nuts_config *c = &s->config;
    if (!c->log_prob) return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "log_prob is missing");
    if (c->n_dim < 1 || c->n_dim > (c->metric == BML_MCMC_DENSE ? 1000 : 10000))
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT,
                              "n_dim is %d, must be within 1 and 10000 (dense metric: 1000)", c->n_dim);
    if (!c->n_chains) c->n_chains = 4;
    if (!c->warmup) c->warmup = 1000;
    if (c->target_accept == 0) c->target_accept = 0.8;
    if (c->gradient_tolerance == 0) c->gradient_tolerance = 1e-3;
    if (!c->max_depth) c->max_depth = 10;
    if (c->n_chains < 1 || c->n_chains > 10000 || c->warmup < 20 || c->warmup > 100000000 ||
        !(c->target_accept > 0 && c->target_accept < 1) || !(c->gradient_tolerance > 0 && c->gradient_tolerance < 1) ||
        c->max_depth < 1 || c->max_depth > BML_MCMC__MAX_DEPTH || c->metric < BML_MCMC_DIAGONAL ||
        c->metric > BML_MCMC_DENSE)
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT,
                              "%d chains, warmup %d, target_accept %g, max_depth %d, metric %d: one is out of range",
                              c->n_chains, c->warmup, c->target_accept, c->max_depth, c->metric);
    for (int k = 0; k < c->n_dim; k++)
        if (!((c->lower ? c->lower[k] : -BML_MCMC__INF) < (c->upper ? c->upper[k] : BML_MCMC__INF)))
            return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "parameter %d: lower < upper is needed", k);
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_nuts_create(bml_mcmc_nuts **out, const bml_mcmc_nuts_config *config, char *why) {
    if (why) why[0] = 0;
    if (!out) return bml_mcmc__refuse(why, BML_MCMC_BAD_ARGUMENT, "there is no place for the sampler");
    *out = NULL;
    if (!config) return bml_mcmc__refuse(why, BML_MCMC_BAD_ARGUMENT, "config is missing");
    bml_mcmc_nuts *s = (bml_mcmc_nuts *)bml_mcmc__alloc(1, 1, sizeof *s);
    if (!s) return bml_mcmc__refuse(why, BML_MCMC_NO_MEMORY, NULL);
    s->config = *config;
    int status = bml_mcmc__nuts_config_check(s);
    if (!status) status = bml_mcmc__nuts_allocate(s);
    if (status) {
        bml_mcmc__refuse(why, status, s->message);
        bml_mcmc_nuts_free(s);
        return status;
    }
    for (int k = 0; k < s->config.n_dim; k++) {
        s->lower[k] = config->lower ? config->lower[k] : -BML_MCMC__INF;
        s->upper[k] = config->upper ? config->upper[k] : BML_MCMC__INF;
    }
    s->config.lower = s->lower;
    s->config.upper = s->upper;
    *out = s;
    return BML_MCMC_OK;
}

BML_MCMC_DEF void bml_mcmc_nuts_free(bml_mcmc_nuts *s) {
    if (!s) return;
    for (int i = 0; s->chain && i < s->config.n_chains; i++)
        BML_MCMC_FREE(s->chain[i].block);
    BML_MCMC_FREE(s->lower);
    BML_MCMC_FREE(s->upper);
    BML_MCMC_FREE(s->theta);
    BML_MCMC_FREE(s->gradient);
    BML_MCMC_FREE(s->log_prob);
    BML_MCMC_FREE(s->who);
    BML_MCMC_FREE(s->steps);
    BML_MCMC_FREE(s->chain);
    BML_MCMC_FREE(s->draws);
    BML_MCMC_FREE(s->draws_log_prob);
    BML_MCMC_FREE(s);
}

BML_MCMC_DEF const char *bml_mcmc_nuts_message(const bml_mcmc_nuts *s) {
    return s ? s->message : "";
}

/* The step sizes that finite differences take: theta's own scale, within half of the way to a limit. */
static int bml_mcmc__nuts_gradient(bml_mcmc_nuts *s, const double *theta) {
    double worst = 0;
    double *scale = s->chain[0].scratch;
    for (int k = 0; k < s->config.n_dim; k++) {
        double room = theta[k] - s->lower[k] < s->upper[k] - theta[k] ? theta[k] - s->lower[k] : s->upper[k] - theta[k];
        scale[k] = fabs(theta[k]) + 1 < room ? fabs(theta[k]) + 1 : room;
    }
    int status = bml_mcmc_check_gradient(&worst, s->config.log_prob, theta, scale, s->config.n_dim, s->config.user);
    if (status == BML_MCMC_BAD_GRADIENT && worst <= s->config.gradient_tolerance) status = BML_MCMC_OK;
    if (status)
        bml_mcmc__fail(s->message, status, "at the first start position: worst relative difference %.3g", worst);
    return status;
}

BML_MCMC_DEF int bml_mcmc_nuts_start(bml_mcmc_nuts *s, const double *theta) {
    if (!s) return BML_MCMC_BAD_ARGUMENT;
    if (!theta) return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "theta is missing");
    s->started = 0;
    s->gradients = 0;
    int d = s->config.n_dim;
    int dense = s->config.metric == BML_MCMC_DENSE;
    for (int i = 0; i < s->config.n_chains; i++) {
        bml_mcmc__nuts_chain *c = s->chain + i;
        memset(&c->k, 0, sizeof c->k);
        memset(c->block, 0, 8 * bml_mcmc__nuts_block(s));
        s->who[i] = i;
        c->k.need_step = 1;
        c->k.step = 1;
        for (int k = 0; k < d; k++) {
            double x = theta[i * d + k];
            double lo = s->lower[k];
            double hi = s->upper[k];
            if (!(x > lo && x < hi && fabs(x) <= DBL_MAX))
                return bml_mcmc__fail(s->message, BML_MCMC_BAD_START,
                                      "chain %d: parameter %d is %g, not inside its limits", i, k, x);
            c->y[k] = lo > -DBL_MAX && hi < DBL_MAX ? log((x - lo) / (hi - x))
                      : lo > -DBL_MAX               ? log(x - lo)
                      : hi < DBL_MAX                ? log(hi - x)
                                                    : x;
            c->now.y[k] = c->y[k];
            c->L[dense ? k * d + k : k] = 1;
            if (dense) c->L_inverse[k * d + k] = 1;
        }
    }
    int status;
    if ((status = bml_mcmc__nuts_gradient(s, theta)) != BML_MCMC_OK) return status;
    if ((status = bml_mcmc__nuts_call(s, s->config.n_chains, s->steps)) != BML_MCMC_OK) return status;
    for (int i = 0; i < s->config.n_chains; i++) {
        if (!(s->steps[i] > -DBL_MAX))
            return bml_mcmc__fail(s->message, BML_MCMC_BAD_START, "chain %d starts at log-probability -infinity", i);
        s->chain[i].k.log_prob = s->steps[i];
        memcpy(s->chain[i].g, s->chain[i].now.g, sizeof(double) * (size_t)d);
    }
    s->started = 1;
    s->message[0] = 0;
    return BML_MCMC_OK;
}

BML_MCMC_DEF bml_mcmc_chain bml_mcmc_nuts_chain(const bml_mcmc_nuts *s) {
    bml_mcmc_chain c = {NULL, NULL, 0, 0, 0};
    if (!s || !s->started) return c;
    c.theta = s->draws;
    c.log_prob = s->draws_log_prob;
    c.n_steps = (size_t)bml_mcmc__nuts_stored(s, 0);
    c.n_walkers = s->config.n_chains;
    c.n_dim = s->config.n_dim;
    return c;
}

BML_MCMC_DEF bml_mcmc_nuts_info bml_mcmc_nuts_get_info(const bml_mcmc_nuts *s) {
    bml_mcmc_nuts_info r;
    double kept = 0;
    double trees = 0;
    memset(&r, 0, sizeof r);
    if (!s) return r;
    r.n_dim = s->config.n_dim;
    r.n_chains = s->config.n_chains;
    r.gradients = s->gradients;
    r.draws = bml_mcmc__nuts_stored(s, 0);
    for (int i = 0; i < s->config.n_chains; i++) {
        const bml_mcmc__nuts_kept *k = &s->chain[i].k;
        r.divergences += k->divergences;
        r.walls += k->walls;
        r.max_depth_hits += k->deep;
        r.mean_accept += k->accept;
        kept += (double)k->kept;
        trees += (double)k->gradients_kept;
        s->steps[i] = k->step;
    }
    r.mean_accept /= kept > 0 ? kept : 1;
    r.mean_tree = trees / (kept > 0 ? kept : 1);
    r.step_size = s->steps;
    return r;
}

BML_MCMC_DEF int bml_mcmc_check_gradient(double *worst, bml_mcmc_gradient f, const double *theta, const double *scale,
                                         int n_dim, void *user) {
    enum { N = 7 };
    int status = BML_MCMC_OK;
    size_t D = (size_t)(n_dim > 0 ? n_dim : 0);
    double largest = 0;
    if (!worst || !f || !theta || n_dim < 1) return BML_MCMC_BAD_ARGUMENT;
    double *x = bml_mcmc__doubles(2 * N * D, 1);
    double *g = bml_mcmc__doubles(2 * N * D, 1);
    double *lp = bml_mcmc__doubles(2 * N + 1, 1);
    double *g0 = bml_mcmc__doubles(D, 1);
    if (!x || !g || !lp || !g0) status = BML_MCMC_NO_MEMORY;
    if (!status) f(lp + 2 * N, g0, theta, 1, n_dim, user);
    int i;
    for (i = 0; i < n_dim && !status; i++) {
        double size = fabs(g0[i]) * (scale ? scale[i] : fabs(theta[i]) + 1);
        if (!(size <= DBL_MAX && fabs(lp[2 * N]) <= DBL_MAX)) status = BML_MCMC_NAN;
        largest = size > largest ? size : largest;
    }
    for (i = 0, *worst = 0; i < n_dim && !status; i++) {
        double h = scale ? scale[i] : fabs(theta[i]) + 1;
        double norm = 1e-3 * largest / h + DBL_MIN;
        double best = BML_MCMC__INF;
        for (int j = 0; j < 2 * N; j++) {
            for (int k = 0; k < n_dim; k++)
                x[(size_t)j * D + (size_t)k] = theta[k];
            x[(size_t)j * D + (size_t)i] += (j % 2 ? -h : h) * pow(10, -1 - j / 2);
        }
        f(lp, g, x, 2 * N, n_dim, user);
        for (int j = 0; j < N; j++) {
            double up = x[(size_t)(2 * j) * D + (size_t)i];
            double down = x[(size_t)(2 * j + 1) * D + (size_t)i];
            double slope = (lp[2 * j] - lp[2 * j + 1]) / (up - down);
            double rounding = 8 * DBL_EPSILON * fabs(lp[2 * N]) / (up - down);
            double error = fabs(slope - g0[i]) - rounding;
            double size = fabs(slope) + fabs(g0[i]) + norm;
            if (error <= best * size) best = error > 0 ? error / size : 0;
        }
        *worst = best > *worst ? best : *worst;
    }
    if (!status && !(*worst <= 1e-3)) status = BML_MCMC_BAD_GRADIENT;
    BML_MCMC_FREE(x);
    BML_MCMC_FREE(g);
    BML_MCMC_FREE(lp);
    BML_MCMC_FREE(g0);
    return status;
}

static void bml_mcmc__nuts_fingerprint(uint64_t *words /*[BML_MCMC__FIXED]*/, const bml_mcmc_nuts *s) {
    memset(words, 0, 8 * BML_MCMC__FIXED);
    words[0] = (uint64_t)s->config.n_dim;
    words[1] = (uint64_t)s->config.n_chains;
    words[2] = s->config.seed;
    words[3] = (uint64_t)s->config.metric;
    words[4] = (uint64_t)s->config.warmup;
    words[5] = (uint64_t)s->config.max_depth;
    memcpy(words + 6, &s->config.target_accept, 8);
    for (int k = 0; k < s->config.n_dim; k++)
        words[7] ^= bml_mcmc__checksum((const unsigned char *)(s->lower + k), 1) +
                    3 * bml_mcmc__checksum((const unsigned char *)(s->upper + k), 1) + (uint64_t)k;
}

/* Words of a state with n draws in every chain. */
static size_t bml_mcmc__nuts_words(const bml_mcmc_nuts *s, size_t n) {
    size_t C = (size_t)s->config.n_chains;
    size_t D = (size_t)s->config.n_dim;
    return BML_MCMC__HEAD + BML_MCMC__FIXED + 2 + C * (sizeof(bml_mcmc__nuts_kept) / 8 + bml_mcmc__nuts_block(s)) +
           n * C * (D + 1);
}

static void bml_mcmc__nuts_transfer(bml_mcmc_nuts *s, unsigned char **at, size_t n, int load) {
    size_t C = (size_t)s->config.n_chains;
    bml_mcmc__words(at, &s->gradients, 1, load);
    for (size_t i = 0; i < C; i++) {
        bml_mcmc__words(at, &s->chain[i].k, sizeof(bml_mcmc__nuts_kept) / 8, load);
        bml_mcmc__words(at, s->chain[i].block, bml_mcmc__nuts_block(s), load);
        if (load && s->config.metric == BML_MCMC_DENSE)
            bml_mcmc__invert_lower(s->chain[i].L_inverse, s->chain[i].L, s->config.n_dim);
    }
    bml_mcmc__words(at, s->draws, n * C * (size_t)s->config.n_dim, load);
    bml_mcmc__words(at, s->draws_log_prob, n * C, load);
}

BML_MCMC_DEF size_t bml_mcmc_nuts_save_size(const bml_mcmc_nuts *s) {
    return s && s->started ? 8 * bml_mcmc__nuts_words(s, (size_t)bml_mcmc__nuts_stored(s, 1)) : 0;
}

BML_MCMC_DEF int bml_mcmc_nuts_save(bml_mcmc_nuts *s, void *buffer, size_t size) {
    uint64_t fixed[BML_MCMC__FIXED];
    unsigned char *at = (unsigned char *)buffer;
    if (!s) return BML_MCMC_BAD_ARGUMENT;
    bml_mcmc__nuts_fingerprint(fixed, s);
    uint64_t n = s->started ? bml_mcmc__nuts_stored(s, 1) : 0;
    int status = bml_mcmc__save_head(s->message, &at, size, bml_mcmc_nuts_save_size(s), fixed, n);
    if (status) return status;
    bml_mcmc__nuts_transfer(s, &at, (size_t)n, 0);
    bml_mcmc__seal(buffer, bml_mcmc_nuts_save_size(s), BML_MCMC__KIND_NUTS);
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_nuts_load(bml_mcmc_nuts *s, const void *buffer, size_t size) {
    static const char *const names[8] = {"n_dim",  "n_chains",  "seed",          "metric",
                                         "warmup", "max_depth", "target_accept", "the limits"};
    uint64_t fixed[BML_MCMC__FIXED];
    /* only read from */
    unsigned char *at = (unsigned char *)(size_t)buffer + 8 * (BML_MCMC__HEAD + BML_MCMC__FIXED + 1);
    size_t n = 0;
    if (!s) return BML_MCMC_BAD_ARGUMENT;
    bml_mcmc__nuts_fingerprint(fixed, s);
    size_t least = 8 * bml_mcmc__nuts_words(s, 0);
    int status = bml_mcmc__check_head(s->message, buffer, size, BML_MCMC__KIND_NUTS, fixed, names, 8, least,
                                      8 * bml_mcmc__nuts_words(s, 1) - least, &n);
    /* the saved positions must have their log-probabilities */
    for (size_t i = 0; i < (size_t)s->config.n_chains && !status; i++) {
        memcpy(s->chain[i].now.y,
               at + 8 * (1 + i * (sizeof(bml_mcmc__nuts_kept) / 8 + bml_mcmc__nuts_block(s)) +
                         sizeof(bml_mcmc__nuts_kept) / 8),
               8 * (size_t)s->config.n_dim);
        s->who[i] = (int)i;
    }
    if (!status) status = bml_mcmc__nuts_call(s, s->config.n_chains, s->steps);
    for (size_t i = 0; i < (size_t)s->config.n_chains && !status; i++) {
        bml_mcmc__nuts_kept k;
        memcpy(&k, at + 8 * (1 + i * (sizeof k / 8 + bml_mcmc__nuts_block(s))), sizeof k);
        if (!(fabs(k.log_prob - s->steps[i]) <= 1e-6 * (1 + fabs(k.log_prob))) || k.kept > n)
            status = bml_mcmc__fail(s->message, BML_MCMC_BAD_STATE,
                                    "chain %d: log-probability %.10g saved, %.10g now: another problem", (int)i,
                                    k.log_prob, s->steps[i]);
    }
    if (!status) status = bml_mcmc__nuts_reserve(s, n);
    if (status) return status;
    bml_mcmc__nuts_transfer(s, &at, n, 1);
    s->started = 1;
    s->message[0] = 0;
    return BML_MCMC_OK;
}

BML_MCMC_DEF void bml_mcmc_prior_limits(double *lower, double *upper, const bml_mcmc_prior *prior) {
    for (int k = 0; prior && k < prior->n_dim; k++) {
        lower[k] = prior->param[k].lower;
        upper[k] = prior->param[k].upper;
    }
}

#undef BML_MCMC_RESTRICT
#undef BML_MCMC_PRINTF
#undef BML_MCMC__NAN
#undef BML_MCMC__INF
#undef BML_MCMC__DEFENCE
#undef BML_MCMC__DOF
#undef BML_MCMC__ROOM
#undef BML_MCMC__SLICE_ROOM
#undef BML_MCMC__SIMULATIONS
#undef BML_MCMC__DIVERGENT
#endif /* BML_MCMC_IMPLEMENTATION */

/* CHANGES
   1.0  ensemble sampler, nested sampling, NUTS, diagnostics, priors, calibration

   LICENCE
   Public domain (Unlicense) or MIT No Attribution, as you like: use, copy, change, sell it with or without this text.
   It comes as it is, without warranty of any kind. */
