/* bml_mcmc.h: posterior samplers and their diagnostics, in one file of C.

   An affine-invariant ensemble sampler, nested and importance sampling for evidences and several modes, and NUTS where
   there are gradients; with priors, convergence diagnostics and calibration tests that all of them share.

   In ONE source file:           #define BML_MCMC_IMPLEMENTATION
                                 #include "bml_mcmc.h"
   everywhere else just:         #include "bml_mcmc.h"          and link with -lm

   A complete program, a correlated Gaussian in two dimensions:

       #include <stdio.h>
       #define BML_MCMC_IMPLEMENTATION
       #include "bml_mcmc.h"
       static void log_prob(double *lp, const double *x, int n, int n_dim, void *user) {
           (void)user;
           for (int i = 0; i < n; i++, x += n_dim) lp[i] = -0.5 * (x[0] * x[0] + (x[1] - x[0]) * (x[1] - x[0]));
       }
       int main(void) {
           bml_mcmc_config config = {.n_dim = 2, .n_walkers = 32, .log_prob = log_prob};
           double center[2] = {0, 0}, radius[2] = {1, 1};
           bml_mcmc_verdict v;
           bml_mcmc_summary s[2];
           bml_mcmc_ensemble *e;
           char why[BML_MCMC_MESSAGE];
           int status = bml_mcmc_ensemble_create(&e, &config, why);
           if (!status) status = bml_mcmc_start_ball(e, center, radius);
           if (!status) status = bml_mcmc_run_until(e, &v, NULL);
           if (!status) status = bml_mcmc_ensemble_summary(e, s, v.burn);
           if (status) printf("%s: %s\n", bml_mcmc_strerror(status), e ? bml_mcmc_ensemble_message(e) : why);
           else printf("y = %.3f -%.3f +%.3f (tau %.1f)\n", s[1].median, s[1].minus, s[1].plus, s[1].tau);
           bml_mcmc_ensemble_free(e);
           return status != 0;
       }

   It refuses: fewer than 2 n_dim walkers or an odd number; starts that span less than the whole space; a NaN (unless
   told otherwise) or +infinite log-probability (the message names the point); gradients that finite differences
   contradict; and to call converged a chain shorter than 50 autocorrelation times, one whose walkers disagree, one
   whose trajectories diverge, or an evidence that fresh draws contradict (BML_MCMC_NOT_CONVERGED, a sentence for each
   reason). It has no input or output, no globals, no threads of its own and no clock: the same seed is the same chain.
   */

/* ---- Setup, use, shutdown ------------------------------------------------------------------------------------------

   1. Write the log-probability (log prior + log likelihood, any constant left out) for n points at once:
          void f(double *log_prob, const double *theta, int n, int n_dim, void *user);
      log_prob[n], theta[n][n_dim]. It may thread over the n points. -INFINITY is "impossible here" and a rejection.
   2. bml_mcmc_ensemble_create(&e, &config, why), zero members meaning the defaults written beside them. A refused
      configuration gives no object, and why, a buffer of BML_MCMC_MESSAGE bytes or NULL, the reason.
   3. bml_mcmc_start_ball, bml_mcmc_start_prior or bml_mcmc_start_given.
   4. bml_mcmc_run_until(e, &verdict, NULL): to 1000 effective samples (ESS), with its burn-in and its reasons; or
      bml_mcmc_run(e, n_steps), as often as wanted: 100 steps and then 200 are the same chain as 300.
      One step proposes one move to every walker: n_walkers evaluations in two calls of f.
   5. bml_mcmc_ensemble_summary(e, out, verdict.burn) for median, errors, ESS, R-hat and tau of every parameter;
      bml_mcmc_ensemble_chain(e) and _derived(e) for the numbers themselves. After bml_mcmc_run:
      bml_mcmc_ensemble_verdict(&verdict, e, burn). Print verdict.reason[i].text: a referee would ask.
   6. bml_mcmc_ensemble_save / _load around a stop; bml_mcmc_ensemble_free at the end.

   Nested sampling takes the log-likelihood, of the same form, and the prior apart: a bml_mcmc_prior or a transform of
   the unit cube. bml_mcmc_nested_create, _run, then _get_result (ln Z, its error, weights), _verdict, _summary, _draw,
   _free. NUTS takes log-probability and gradient: bml_mcmc_nuts_create, _start or _start_prior, _run, then _verdict and
   bml_mcmc_summarize(out, bml_mcmc_nuts_chain(s)), _free. Importance sampling (bml_mcmc_importance_...) is called like
   nested sampling and gives the same. Which one: an evidence, several modes, no idea where to start, up to some 30
   dimensions, costly likelihoods: importance sampling, and where its verdict refuses, nested. Up to some 20 dimensions,
   one mode, no gradient: ensemble. Gradients, or more dimensions, and no thin bent sheets: NUTS.

   ---- Options -------------------------------------------------------------------------------------------------------

   BML_MCMC_IMPLEMENTATION          this file gives the functions, not only their declarations
   BML_MCMC_IMPLEMENTED             defined where the functions exist already; define it yourself when you link them
   BML_MCMC_STATIC                  all functions static (define with the above): what is not called is not compiled,
                                    which takes a third of the time for a program with the ensemble alone
   BML_MCMC_NO_NESTED, BML_MCMC_NO_IMPORTANCE, BML_MCMC_NO_NUTS     leave a sampler out; in every file, or in none
   BML_MCMC_MALLOC(n), BML_MCMC_REALLOC(p, n), BML_MCMC_FREE(p)     all three or none; default: the C library's
   Never -ffast-math: the compiler would drop the tests for NaN, so the implementation stops with #error.

   ---- Mathematics ---------------------------------------------------------------------------------------------------

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
   of this project's benchmark from 110 steps with 100 walkers to 30 with 400 (mixture alone; stretch and DE: 290, 150).
   They are seldom accepted far from the bulk, so they are mixed with a share of local moves. The default, mixture 4/5
   and DE 1/5, takes 6, 12, 30 evaluations for an effective sample of correlated normals in 4, 8, 16 dimensions with the
   default walkers; stretch 1/4 and DE 3/4 take 18, 34, 72. When NOT to use an ensemble: beyond some 30 dimensions
   (Huijser et al. 2015, arXiv:1509.02230: it looks converged and is not); with well separated modes, whose weights it
   does not find unless the mixture or g = 1 bridges them; for evidences.

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
   Sweeps grow while that lowers the correlation of new points with their start by at least a quarter of what mixing
   chains promise, c -> c^(growth): in rings, shells and eggboxes, where that number is measured against a cluster that
   is not one blob, it does not, and more slices would be wasted.
   Whichever costs fewer likelihoods per point is used, as measured, the other is tried again now and then. A 6-D
   problem with two modes takes some 60,000 likelihoods with 400 live points, an 8-D one 100,000, a 32-D Gaussian 2
   10^7. The insertion-rank test (Fowlie, Handley & Su 2020, MNRAS 497, 5256) asks whether new points fall evenly among
   the live ones. A plateau that holds every one of 16 live_points draws is taken for the top.
   When NOT to use it: with few live points for many modes (a mode without a live point is lost: some 30 for each);
   beyond some 40 dimensions; for ln Z to better than 0.02, whose cost grows as the inverse square.

   Importance sampling from a learned density. In the unit cube, where the prior is 1, densities q are fitted to
   weighted points of L^b, with powers b that rise from 0 to 1 as the effective samples allow: mixtures of t densities
   whose draws are kept with a probability that a regression of ln L gives (rejection control, Liu, Chen & Wong 1998).
   Fresh draws of the last density alone give Z = mean of L/q; the quoted error is the scatter of their weights. Draws
   of which less than a tenth are effective are dropped, and the next density learns from them (after twelve densities
   at b = 1 no more: then the verdict refuses). 10-D normals, shells, Rosenbrock functions in 6 dimensions, LogGamma in
   10: 32,000 to 43,000 likelihoods for 10,000 effective samples, ln Z to 0.006, where nested sampling takes ten times
   as many and more; 50 to 110 microseconds of its own for each. Rings 1e-4 thin take 65,000, Cauchy distributions in 5
   dimensions of a prior of +-1e4 87,000, normals in 32 dimensions 130,000. Its verdict asks for a tenth of an effective
   sample for each draw, for a Pareto shape of the largest weights below 0.7 (Vehtari et al. 2024, JMLR 25, 72) or,
   where few weights stand above many equal ones, for an excess of theirs below 0.05 and the error of ln Z asked for,
   for an excess below 0.1 where the shape is 1/3 or more, and short Markov chains from its points whether they walk
   into tips that the draws miss: of 47 right answers to seven such problems it refuses one. When NOT to use it:
   funnels, dozens of modes, and without a guide thin strongly bent sheets (the posterior of a well measured
   synchrotron self-Compton source): it refuses them, after 50,000 to 250,000 likelihoods. With fewer points than the
   default it has passed a 3-D funnel whose neck, 0.1 in ln Z, it had missed. A mode that no draw of the prior and the
   powers has met, it does not see.

   NUTS (Hoffman & Gelman 2014, JMLR 15, 1593; Betancourt 2017, arXiv:1701.02434): leapfrog trajectories that double
   until they turn back, and multinomial draws from them. Step size by dual averaging, mass matrix from windows of the
   warm-up. A parameter with limits is sampled in y: theta = lo + (hi - lo)/(1 + e^-y) with ln J = ln(hi - lo) - |y| - 2
   ln(1 + e^-|y|), or lo + e^y, hi - e^y with ln J = y; log_prob is that of theta, the Jacobian is added here. An energy
   error above 1000 is a divergence: the step does not resolve the target there, which the draws then miss; a smaller
   step (target_accept) or another parameter helps. Limits that depend on other parameters are no limits here: return
   -infinity beyond them, a rejection, counted in `walls`. When NOT to use it: several modes; kinks; gradients by
   differences (n_dim calls each); thin, strongly bent sheets, whose thinnest direction turns from place to place, so
   that no constant metric fits: a blazar's 8 parameters cost 26,000 gradients an effective sample, with half of the
   trees cut at depth 9; guided importance sampling takes some ten likelihoods.

   Integrated autocorrelation time (Sokal 1997, in Functional Integration, Plenum, section 3). rho(t) is the mean over
   walkers of each walker's normalised autocorrelation; tau(M) = 1 + 2 sum_{t=1}^{M} rho(t), with the smallest M >= 5
   tau(M). A walker that never moved counts as rho = 1. Relative error about sqrt(2 (2M+1)/(n_steps n_walkers)) at best.
   ESS = n_steps n_walkers / tau. Where tails mix far more slowly than the bulk (thin arms, funnels) the window closes
   before the slow part is summed, and tau of quantities that live in the tails is too small, by factors of two to four:
   then trust the tail ESS, and the scatter of independent runs with other seeds.

   R-hat and ESS (Vehtari et al. 2021, Bayesian Anal. 16, 667), the numbers of ArviZ: every walker's chain cut in two,
   values replaced by the normal scores of their ranks; R-hat^2 = ((n-1)/n W + B)/W, W the mean variance of the halves,
   B the variance of their means, for the scores (bulk) and for those of |x - median| (folded, which sees walkers of
   another width): the larger counts, and 1.01 is the limit. A chain of n steps has R-hat of about 1 + tau/n: 100 tau
   are needed. The bulk ESS sums the autocorrelations of the scores, variance between chains included, over Geyer's
   initial monotone sequence; the tail ESS is the smaller of those of x <= 5 % and <= 95 % quantile. Below 400 neither
   is stable.

   Verdicts. For each sampler all that is known about a run, as sentences that name the parameter, the number and what
   is allowed: those of R-hat, ESS and length; a parameter that never changed; mass at a prior's bound (a fact to
   report, not a fault); for NUTS divergences, E-BFMI (Betancourt 2016, arXiv:1604.00695), trees cut short, walls; for
   nested sampling the rank test, the memory of slices, and ln Z once more by importance sampling: fresh draws from t
   mixtures fitted to the result, in y = Phi^-1(cube) where the prior is a standard normal. That is often ten times
   more precise than the run's own error where the posterior is one piece, and it shares none of the run's volumes. No
   diagnostic can see a mode that no walker and no live point has met: start from the whole prior, more than once, with
   other seeds.

   Priors. Parameters stand in order; number i has a base density b_i and may have bounds [lo_i, hi_i] that depend on
   the parameters before it. Two meanings, and the difference matters:
   - conditional (default): p = prod b_i(theta_i) / mass_i, mass_i = integral of b_i over [lo_i, hi_i]. For uniform
     parameters the joint density is then 1/(hi - lo): NOT flat, higher where the interval is short.
   - joint (set `joint` on every parameter that a later one's bounds depend on): p = prod b_i / Z on the region and
     zero outside: flat for uniform parameters. The unit-cube transform takes the matching marginals,
       p(theta_i | before) ~ b_i(theta_i) M_{i+1}(theta_1..i),  M_i = integral over theta_i of b_i M_{i+1},  M_{n+1} = 1
     (Rosenblatt 1952), from 33 nodes in each joint parameter, tabulated once, with linear interpolation between: exact
     where M is linear (a triangle), else good to about 1e-3 of a marginal. The density itself is exact. A transform
     takes 1-2 microseconds; four joint parameters take 10 MB and some 0.1 s when the prior is made.

   Calibration. Simulation-based calibration (Talts et al. 2018, arXiv:1804.06788): truths from the prior, data from the
   truths, posterior draws from the data; the rank of the truth among L independent draws is uniform on 0..L.

   Generator. Philox4x32-10 (Salmon et al. 2011, SC'11): key = seed, counter = (block, walker, step): the numbers of a
   walker in a step do not depend on order, threads or history. */
#ifndef BML_MCMC_H
#define BML_MCMC_H
#define BML_MCMC_VERSION 200 /* 0.2.0: 10000 major + 100 minor + patch */
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

/* ---- API: status ------------------------------------------------------------------------------------------------ */
/* name, value, message. Everything but OK is negative. */
#define BML_MCMC_STATUS_TABLE(X)                                                             \
    X(BML_MCMC_OK, 0, "no error")                                                            \
    X(BML_MCMC_BAD_ARGUMENT, -1, "an argument is missing, NaN, or out of range")             \
    X(BML_MCMC_NO_MEMORY, -2, "out of memory")                                               \
    X(BML_MCMC_TOO_LARGE, -3, "sizes whose product overflows")                               \
    X(BML_MCMC_BAD_START, -4, "the start positions are degenerate")                          \
    X(BML_MCMC_NAN, -5, "the log-probability is NaN")                                        \
    X(BML_MCMC_INFINITE, -6, "the log-probability is +infinite")                             \
    X(BML_MCMC_NOT_STARTED, -7, "there is nothing yet: start or run it first")               \
    X(BML_MCMC_CANCELLED, -8, "cancelled by a callback")                                     \
    X(BML_MCMC_NOT_CONVERGED, -9, "not converged: the best estimate is there")               \
    X(BML_MCMC_BAD_STATE, -10, "the saved state is damaged or of another problem")           \
    X(BML_MCMC_EMPTY_BOUNDS, -11, "the bounds of a prior leave no room")                     \
    X(BML_MCMC_BAD_TRANSFORM, -12, "the prior transform failed or its result is not finite") \
    X(BML_MCMC_NO_SUPPORT, -13, "the log-likelihood is -infinite wherever it was tried")     \
    X(BML_MCMC_BAD_GRADIENT, -14, "the gradient is not the derivative of the log-probability")
#define BML_MCMC__ENUM(name, value, text) name = value,
enum { BML_MCMC_STATUS_TABLE(BML_MCMC__ENUM) BML_MCMC__STATUS_END = 1 };
#undef BML_MCMC__ENUM

enum { BML_MCMC_MESSAGE = 512 }; /* bytes of a message buffer, NUL included */

/* The message of a status; "unknown status" for other numbers. Static text. */
BML_MCMC_DEF const char *bml_mcmc_strerror(int status);

/* ---- API: random numbers -------------------------------------------------------------------------------------------
   Philox4x32-10 (Salmon et al. 2011, SC11, "Parallel random numbers: as easy as 1, 2, 3"), the same text and the same
   numbers in every bml header. (seed, stream) names a sequence; sequences do not overlap: word 0 of the counter counts
   blocks of four numbers, words 1 and 2 are the stream, word 3 starts at 2^32 - 1 and is lowered when word 0 wraps, so
   that small values of it are free for the header's own streams. A generator is plain data: copy it to save it. */

typedef struct bml_mcmc_rng {
    uint32_t key[2];     /* the seed */
    uint32_t counter[4]; /* of the next block */
    uint32_t block[4];   /* the present one */
    uint32_t used;       /* how many of its four words are spent */
} bml_mcmc_rng;

/* out[4] = the block of counter[4] under key[2]. */
BML_MCMC_DEF void bml_mcmc_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key);
/* The beginning of sequence (seed, stream). */
BML_MCMC_DEF void bml_mcmc_rng_init(bml_mcmc_rng *rng, uint64_t seed, uint64_t stream);
/* The next 32 random bits. */
BML_MCMC_DEF uint32_t bml_mcmc_rng_u32(bml_mcmc_rng *rng);
/* Uniform in (0, 1), never 0 or 1: (k + 1/2)/2^52. */
BML_MCMC_DEF double bml_mcmc_rng_uniform(bml_mcmc_rng *rng);
/* Normal, mean 0, standard deviation 1 (Box & Muller 1958). */
BML_MCMC_DEF double bml_mcmc_rng_normal(bml_mcmc_rng *rng);

/* ---- API: priors ------------------------------------------------------------------------------------------------ */
enum {
    BML_MCMC_UNIFORM,     /* flat in [lower, upper] */
    BML_MCMC_LOG_UNIFORM, /* density ~ 1/x in [lower, upper], 0 < lower */
    BML_MCMC_NORMAL,      /* mean, sd; truncated to [lower, upper] unless both are zero; one may be infinite */
    BML_MCMC_TABLE        /* density given at x[n], linear between, any normalisation */
};
/* Narrows [*lower, *upper], which hold the limits of parameter i on entry, from theta[0..i-1]. */
typedef void (*bml_mcmc_bounds)(double *lower, double *upper, const double *theta, int i, void *user);

typedef struct bml_mcmc_prior_param {
    int kind;
    double lower; /* limits, in the parameter's unit */
    double upper;
    double mean;           /* BML_MCMC_NORMAL only */
    double sd;             /* likewise */
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
/* Normalised log density at theta[n_dim]; -infinity outside. This call and the next two are thread safe if the bounds
   callbacks are. */
BML_MCMC_DEF double bml_mcmc_prior_log_density(const bml_mcmc_prior *prior, const double *theta);
/* theta[n_dim] from cube[n_dim], each in [0,1]. BAD_ARGUMENT outside the cube, EMPTY_BOUNDS. */
BML_MCMC_DEF int bml_mcmc_prior_transform(const bml_mcmc_prior *prior, double *theta, const double *cube);
/* cube[n_dim] from theta[n_dim], the inverse of the above. BAD_ARGUMENT where the density is zero. */
BML_MCMC_DEF int bml_mcmc_prior_inverse(const bml_mcmc_prior *prior, double *cube, const double *theta);
/* lower[n_dim] and upper[n_dim]: the fixed limits, not those of a bounds callback. */
BML_MCMC_DEF void bml_mcmc_prior_limits(double *lower, double *upper, const bml_mcmc_prior *prior);

/* ---- API: what all samplers share ------------------------------------------------------------------------------- */
/* log_prob[n] of theta[n][n_dim]. */
typedef void (*bml_mcmc_log_prob)(double *log_prob, const double *theta, int n, int n_dim, void *user);

/* What a log-probability of NaN is. +infinity is always an error. After either error the next run goes on past it: it
   makes the same step again and takes what is not a number in it for -infinity. */
enum {
    BML_MCMC_NAN_STOPS,   /* an error, whose message names the point */
    BML_MCMC_NAN_REJECTED /* as -infinity; counted, and reported by the verdict */
};

/* ---- API: the ensemble sampler ---------------------------------------------------------------------------------- */
/* As bml_mcmc_log_prob, with derived[n][n_derived] quantities of the caller's beside it, such as a luminosity that the
   model has computed anyway. */
typedef void (*bml_mcmc_log_prob_derived)(double *log_prob, double *derived, const double *theta, int n, int n_dim,
                                          void *user);

enum {
    BML_MCMC_STRETCH,
    BML_MCMC_WALK,
    BML_MCMC_DE,
    BML_MCMC_SNOOKER,
    BML_MCMC_KDE,
    BML_MCMC_MIXTURE,
    BML_MCMC_SURROGATE,
    BML_MCMC_N_MOVES
};
enum { BML_MCMC_MAX_MOVES = 16 };
enum { BML_MCMC_MAX_COUNT = 32 };

typedef struct bml_mcmc_move {
    int kind;      /* BML_MCMC_STRETCH ... BML_MCMC_SURROGATE */
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
    int n_dim;                                  /* required, 1 to 10000 */
    int n_walkers;                              /* even, at least 2 n_dim; 0 = 6 n_dim, at least 32 */
    uint64_t seed;                              /* any, 0 too */
    bml_mcmc_log_prob log_prob;                 /* required, unless */
    bml_mcmc_log_prob_derived log_prob_derived; /* this is given: derived quantities go along with the chain */
    int n_derived;                              /* of them */
    void *user;                                 /* handed to log_prob, and to surrogate */
    int nan_policy;                             /* BML_MCMC_NAN_STOPS, BML_MCMC_NAN_REJECTED */
    const bml_mcmc_prior *prior; /* for the verdict alone, which looks for mass at its bounds; its density belongs into
                                    log_prob. Kept by the caller, who frees it last. NULL = none */
    const char *const *names;    /* [n_dim] of the parameters, for the verdict; kept by the caller. NULL = by number */
    bml_mcmc_log_prob surrogate; /* a cheap approximation of log_prob, for BML_MCMC_SURROGATE moves; else NULL. Its
                                      calls are not counted; a saved state does not hold it: resume with the same one */
    const double *reference;     /* [n_reference][n_dim] points spread like p, of an earlier or cheaper run; used by
                                      create alone. The mixture is then fitted to them, once, and surrogate moves take
                                      it in. NULL = none */
    int n_reference;             /* at least 50 n_dim */
    const bml_mcmc_move *moves;  /* [n_moves], copied; one is drawn for each half-step. NULL = 4/5 mixture, 1/5 DE; with
                                   more than 20 dimensions or fewer than 2 n_dim + 4 walkers 1/4 stretch, 3/4 DE */
    int n_moves;                 /* at most 16 */
    int thin;                    /* keep every thin-th step; 0 = 1 */
    bml_mcmc_progress_fn progress; /* called after every step, NULL = none */
    void *progress_user;           /* handed to progress */
} bml_mcmc_config;

/* A chain, seen but not owned: what the diagnostics take. Fill one in to have any other array summarised, such as
   quantities derived from the parameters. */
typedef struct bml_mcmc_chain {
    const double *theta;    /* [n_steps][n_walkers][n_dim] */
    const double *log_prob; /* [n_steps][n_walkers], may be NULL */
    size_t n_steps;         /* stored steps */
    int n_walkers;
    int n_dim;
} bml_mcmc_chain;

typedef struct bml_mcmc_ensemble_info {
    int n_dim;
    int n_walkers;
    int n_moves;
    int thin;
    uint64_t step;                  /* steps done since the start */
    uint64_t evaluations;           /* log-probabilities asked for since the start */
    const double *theta;            /* [n_walkers][n_dim] present positions */
    const double *log_prob;         /* [n_walkers] */
    const uint64_t *accepted;       /* [n_walkers] of `steps_counted` proposals each */
    uint64_t steps_counted;         /* steps since the start or the last clear */
    uint64_t nans;                  /* log-probabilities taken for -infinity, likewise */
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
/* The derived quantities of the same steps, theta[n_steps][n_walkers][n_derived], as a chain of its own: what takes a
   chain takes them too. Pointers live as above. */
BML_MCMC_DEF bml_mcmc_chain bml_mcmc_ensemble_derived(const bml_mcmc_ensemble *e);
/* Counts and present positions; pointers live as above. */
BML_MCMC_DEF bml_mcmc_ensemble_info bml_mcmc_ensemble_get_info(const bml_mcmc_ensemble *e);

/* Save and resume to the bit, chain included. _save_size gives the bytes needed; _save writes them (BAD_ARGUMENT when
   size is smaller); _load takes them into a sampler created with the same n_dim, n_walkers, seed, thin and moves, and
   asks log_prob for the saved positions: if they differ, by damage or because log_prob is another one (1e-6 of it),
   BAD_STATE and the sampler is as before. The bytes are in this machine's order. */
BML_MCMC_DEF size_t bml_mcmc_ensemble_save_size(const bml_mcmc_ensemble *e);
BML_MCMC_DEF int bml_mcmc_ensemble_save(bml_mcmc_ensemble *e, void *buffer, size_t size);
BML_MCMC_DEF int bml_mcmc_ensemble_load(bml_mcmc_ensemble *e, const void *buffer, size_t size);

/* ---- API: diagnostics, of any chain ----------------------------------------------------------------------------- */
typedef struct bml_mcmc_summary {
    double median;
    double minus; /* 15.87 % quantile = median - minus */
    double plus;  /* 84.13 % quantile = median + plus */
    double mean;
    double sd;
    double ess;      /* effective samples, n_steps n_walkers / tau */
    double rhat;     /* rank-normalised split R-hat over walkers, the larger of bulk and folded; infinite if constant */
    double tau;      /* integrated autocorrelation time, in steps of the chain; infinite if constant */
    double ess_bulk; /* effective samples for the middle of the distribution, with the variance between walkers, */
    double ess_tail; /* and for its 5 % and 95 % quantiles, the smaller; both 0 if constant */
} bml_mcmc_summary;

/* The same chain without its first `burn` stored steps (without any if there are no more). */
BML_MCMC_DEF bml_mcmc_chain bml_mcmc_chain_drop(bml_mcmc_chain chain, size_t burn);
/* tau[n_dim] alone. NOT_CONVERGED with the estimates when the chain is shorter than 50 tau. BAD_ARGUMENT for fewer than
   8 steps or values that are not finite, NO_MEMORY. */
BML_MCMC_DEF int bml_mcmc_autocorrelation(double *tau, bml_mcmc_chain chain);
/* out[n_dim]. NOT_CONVERGED with the estimates when the chain is shorter than 50 tau or R-hat > 1.01. Others as above.
   */
BML_MCMC_DEF int bml_mcmc_summarize(bml_mcmc_summary *out, bml_mcmc_chain chain);
/* The same of a sampler's chain after `burn` steps of the sampler, with tau in steps of the sampler (thinning
   counted). */
BML_MCMC_DEF int bml_mcmc_ensemble_summary(bml_mcmc_ensemble *e, bml_mcmc_summary *out, size_t burn);
/* The quantile q in [0,1] of values[n], linear between order statistics. Reorders values. NaN if n = 0. */
BML_MCMC_DEF double bml_mcmc_quantile(double *values, size_t n, double q);

/* ---- API: the verdict ------------------------------------------------------------------------------------------- */
enum {
    BML_MCMC_REASON_SHORT,       /* fewer than 50 autocorrelation times */
    BML_MCMC_REASON_RHAT,        /* walkers or chains disagree: above 1.01 */
    BML_MCMC_REASON_ESS,         /* bulk or tail below 400; nested: below 100 */
    BML_MCMC_REASON_CONSTANT,    /* a parameter that never changed */
    BML_MCMC_REASON_UNFINISHED,  /* the goal, the error or the ESS asked for was not reached */
    BML_MCMC_REASON_STUCK,       /* walkers that were put beside others */
    BML_MCMC_REASON_NAN,         /* points whose NaN was taken for -infinity */
    BML_MCMC_REASON_EDGE,        /* more than 5 % of the posterior within 2 % of a prior's bound */
    BML_MCMC_REASON_DIVERGENCES, /* NUTS, after the warm-up; more than one in a thousand refuse */
    BML_MCMC_REASON_ENERGY,      /* NUTS: an E-BFMI below 0.3 */
    BML_MCMC_REASON_DEPTH,       /* NUTS: trees cut by max_depth; more than a quarter of them refuse */
    BML_MCMC_REASON_WALLS,       /* NUTS: trajectories that ended at -infinity; more than 5 % refuse */
    BML_MCMC_REASON_RANK,        /* nested: the insertion-rank test */
    BML_MCMC_REASON_CORRELATION, /* nested: new points remember where their slices began */
    BML_MCMC_REASON_EVIDENCE,    /* nested: fresh draws give another ln Z */
    BML_MCMC_REASON_UNCHECKED,   /* nested: fresh draws could not tell */
    BML_MCMC_REASON_PARETO,      /* importance: a few draws outweigh the others */
    BML_MCMC_REASON_STRAYS       /* importance: Markov chains find mass that the draws miss */
};
enum { BML_MCMC_MAX_REASONS = 32 };
enum { BML_MCMC_REASON = 240 }; /* bytes of a sentence */

typedef struct bml_mcmc_reason {
    int kind;                   /* BML_MCMC_REASON_... */
    int refuses;                /* 1: a reason for NOT_CONVERGED; 0: to be known */
    int parameter;              /* the worst one, -1: of none */
    double value;               /* what was found */
    double limit;               /* and what is allowed */
    char text[BML_MCMC_REASON]; /* the sentence */
} bml_mcmc_reason;

/* What a referee would ask. OK means that nothing that can be seen speaks against the result. What cannot be seen: a
   mode that no walker or live point has met; a likelihood or a prior that is not the one meant. */
typedef struct bml_mcmc_verdict {
    int status;    /* BML_MCMC_OK; BML_MCMC_NOT_CONVERGED: some reason refuses; others: there is no verdict */
    int n_reasons; /* of reason[] */
    bml_mcmc_reason reason[BML_MCMC_MAX_REASONS];
    double rhat;                /* the largest; NaN where it does not apply, as in the rest */
    double ess_bulk;            /* the smallest */
    double ess_tail;            /* likewise */
    double e_bfmi;              /* NUTS: the smallest */
    double check_log_z;         /* nested: by fresh draws, */
    double check_log_z_error;   /* and its error, */
    double check_ess;           /* from so many effective ones, */
    double check_pareto;        /* whose largest weights have this shape: below 0.7 the error can be trusted, */
    uint64_t check_evaluations; /* which took so many likelihoods */
    size_t burn;                /* ensemble: steps left out */
} bml_mcmc_verdict;

/* On any chain. names[n_dim], or NULL: by number. Returns v->status. BAD_ARGUMENT, NO_MEMORY. */
BML_MCMC_DEF int bml_mcmc_chain_verdict(bml_mcmc_verdict *v, bml_mcmc_chain chain, const char *const *names);
/* On an ensemble's chain after `burn` steps: also mass at the prior's bounds, and NaN. As above. */
BML_MCMC_DEF int bml_mcmc_ensemble_verdict(bml_mcmc_verdict *v, bml_mcmc_ensemble *e, size_t burn);

typedef struct bml_mcmc_goal {
    double ess;     /* effective samples wanted, bulk and tail, of every parameter; 0 = 1000 */
    double steps;   /* at most so many more; 0 = 100000; -1: none, judge what there is */
    int keep_stuck; /* 1: leave stuck walkers where they are */
    double burn;    /* steps of the chain to leave out; 0: found from it */
} bml_mcmc_goal;
/* Runs until the verdict is OK with the wanted ESS, in rounds, each judged after a burn-in that is found from the
   chain: v->burn, for bml_mcmc_ensemble_summary. Walkers whose log-probability stays far below that of the others in a
   whole round (4 times the spread of the better half of them) are put beside others, the chain begins anew, and the
   verdict names them; not when they are more than a third, which would be a mode. The chain's length says where rounds
   end: a run that was cancelled, saved, loaded and goes on ends with the same chain as one that was not. goal NULL =
   defaults. NOT_CONVERGED with the reasons when the steps are used up: call again to go on. Others as bml_mcmc_run. */
BML_MCMC_DEF int bml_mcmc_run_until(bml_mcmc_ensemble *e, bml_mcmc_verdict *v, const bml_mcmc_goal *goal);

/* theta[n][n_dim] from cube[n][n_dim], every coordinate of the cube within [0,1]. Non-zero: it failed. */
typedef int (*bml_mcmc_transform)(double *theta, const double *cube, int n, int n_dim, void *user);

#ifndef BML_MCMC_NO_NESTED
/* ---- API: nested sampling --------------------------------------------------------------------------------------- */
enum { BML_MCMC_NESTED_AUTO, BML_MCMC_NESTED_REGION, BML_MCMC_NESTED_SLICE };
enum { BML_MCMC_CHECKED, BML_MCMC_UNCHECKED };

typedef struct bml_mcmc_nested_progress {
    double log_z;         /* so far, live points included */
    double log_z_error;   /* sqrt(H / live points), and in dynamic passes what it has come down to */
    double remaining;     /* share of the evidence that the live points could still hold */
    double efficiency;    /* points kept per evaluation in the last round */
    double log_volume;    /* ln X: share of the prior that is left */
    uint64_t evaluations; /* of the likelihood */
    size_t n_points;      /* dead and live */
    int pass;             /* 0: the first run from the prior; 1...: dynamic passes */
    int method;           /* of the last round: BML_MCMC_NESTED_REGION or _SLICE */
    int n_clusters;       /* likewise */
} bml_mcmc_nested_progress;
typedef int (*bml_mcmc_nested_progress_fn)(const bml_mcmc_nested_progress *progress, void *user); /* non-zero cancels */

typedef struct bml_mcmc_nested_config {
    int n_dim;                        /* required, 1 to 1000 */
    int live_points;                  /* at least n_dim + 1, and 4; 0 = 400, or 10 n_dim if that is more */
    uint64_t seed;                    /* any, 0 too */
    bml_mcmc_log_prob log_likelihood; /* required; of theta, n points at once. -INFINITY is "impossible here" */
    const bml_mcmc_prior *prior;      /* the prior: this (kept by the caller, who frees it last), or */
    bml_mcmc_transform transform;     /* this, from the unit cube */
    void *user;                       /* handed to log_likelihood and transform */
    int nan_policy;                   /* BML_MCMC_NAN_STOPS, BML_MCMC_NAN_REJECTED */
    const char *const *names;     /* [n_dim] of the parameters, for the verdict; kept by the caller. NULL = by number */
    const unsigned char *wrapped; /* [n_dim] 1: periodic, cube 0 and 1 are one point; copied. NULL = none */
    int method;                   /* BML_MCMC_NESTED_AUTO: the cheaper one per new point, as measured */
    int sweeps;                   /* slices per new point / n_dim; 0 = 3 + n_dim/12, and more while new points remember
                                      their start */
    int replace;                  /* points replaced together, 1 to live_points/2; 0 = live_points/5 */
    double remaining;             /* ends a pass when the live points hold less than this share; 0 = 0.01 */
    double error;                 /* of ln Z, to be reached by dynamic passes; 0 = no matter: one static run */
    double min_ess;               /* effective posterior samples, likewise; 0 = no matter */
    int check_evidence;           /* BML_MCMC_CHECKED, BML_MCMC_UNCHECKED: does the verdict ask for likelihoods? */
    bml_mcmc_nested_progress_fn progress; /* called before a round and after every batch of likelihoods, NULL = none */
    void *progress_user;                  /* handed to progress */
} bml_mcmc_nested_config;

typedef struct bml_mcmc_nested_result {
    double log_z;                 /* ln of the evidence */
    double log_z_error;           /* sd over simulated shrinkages */
    double information;           /* H, nats: posterior against prior */
    double ess;                   /* effective posterior samples, 1/sum w^2 */
    double remaining;             /* share of the evidence in the points that were live at the end */
    double rank_p;                /* insertion-rank test: p-value that new points fell where they should */
    int rank_ok;                  /* the verdict: rank_p >= 0.001. If 0, do not trust log_z */
    int converged;                /* remaining, error and min_ess have all been reached */
    uint64_t evaluations;         /* of the likelihood */
    uint64_t slice_evaluations;   /* those of them by slices */
    uint64_t nans;                /* likelihoods taken for 0 */
    int passes;                   /* dynamic passes made, beyond the static run */
    int sweeps;                   /* last used, 0 if no slices were needed */
    double sweep_correlation;     /* of new points with their start, last measured; 0.1 is allowed */
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
/* The result judged: finished or not, rank test, correlation of slices with their start, ESS, mass at the prior's
   bounds, and ln Z against an importance sampling by fresh draws from a mixture fitted to the result (a tenth of the
   run's likelihoods at most, 2,000 at least, 50,000 at most; not after a reweigh). Slices that remember their start
   (above 0.2) make live points copies of each other and the quoted error too small, by three and more on thin bent
   sheets: such a run is refused unless fresh draws that can be trusted (100 effective ones, Pareto shape below 0.7)
   confirm it to 2.5 errors. Returns v->status. As above. */
BML_MCMC_DEF int bml_mcmc_nested_verdict(bml_mcmc_verdict *v, bml_mcmc_nested *s);
/* Save and resume to the bit, as of the ensemble above; n_dim, live_points, seed, method, sweeps and replace must
   agree, and the likelihood of the saved points. remaining, error
   and min_ess may differ: to go on to a smaller error. */
BML_MCMC_DEF size_t bml_mcmc_nested_save_size(const bml_mcmc_nested *s);
BML_MCMC_DEF int bml_mcmc_nested_save(bml_mcmc_nested *s, void *buffer, size_t size);
BML_MCMC_DEF int bml_mcmc_nested_load(bml_mcmc_nested *s, const void *buffer, size_t size);
#endif /* BML_MCMC_NO_NESTED */

#ifndef BML_MCMC_NO_IMPORTANCE
/* ---- API: importance sampling from a learned density ---------------------------------------------------------------
   From the prior to the posterior by powers of the likelihood, each time from a density fitted to the points so far;
   then fresh draws of the last density alone give ln Z and the posterior. One blob or several, bananas and shells in up
   to some 15 dimensions take 30,000 to 50,000 likelihoods for 10,000 effective samples; the sampler itself takes some
   100 microseconds for each. Where it fails (funnels, thin strongly bent sheets, dozens of modes) its verdict says so:
   ask it, and turn to nested sampling or the ensemble; or give it a guide.

   A guide is a cheap stand-in for the likelihood that you have anyway or learn on the way, say a polynomial or a small
   network for the model's outputs, trained on the answers that log_likelihood has given so far, the unlikely ones too
   (150 in ln L below the best serve). After six stages learn is called, and from then on densities are made from the
   guide alone: its walks say where a power of the likelihood is, and draws follow it. Where that does not come nearer
   to the posterior in ten stages, the run begins again, and asks the guide at the posterior only. On a thin bent sheet
   of 8 dimensions this took 33,000 to 44,000 likelihoods for 5,000 effective samples, where without it the verdict
   refuses. -INFINITY or NaN of a guide is "I know nothing here".

   Where it is wrong, draws are wasted; the result is that of log_likelihood alone, of what the draws have met. For what
   a guide hides from them there are 200 Markov chains that begin before it leads and go on by weights of log_likelihood
   alone: the verdict refuses where they end in places that the draws miss. They walk by the guide, and each of their
   parts may die out by chance: a mode hidden for good from a guide that never learns was blessed once in some twenty
   runs. Fresh draws that turn out poor are dropped, and the guide learns from them: a draw that outweighs the others
   ends that density, and ln Z of what follows is low by what its kind holds, should the guide not have learned it. Save
   your guide beside the sampler's state. */

typedef struct bml_mcmc_importance_progress {
    int stage;            /* 0: from the prior to the posterior; 1: refining the density; 2: fresh draws */
    double power;         /* of the likelihood, 0 to 1 */
    uint64_t evaluations; /* of the likelihood */
    double log_z;         /* of the points so far, under that power */
    double log_z_error;   /* of the fresh draws, else NaN */
    double ess;           /* likewise */
} bml_mcmc_importance_progress;
typedef int (*bml_mcmc_importance_progress_fn)(const bml_mcmc_importance_progress *progress,
                                               void *user); /* non-zero cancels */

/* Called before each density that the guide makes: 0 = it may be asked, 1 = not, or, where it has been asked before, it
   stays as it is; negative cancels. */
typedef int (*bml_mcmc_learn)(void *user);

typedef struct bml_mcmc_importance_config {
    int n_dim;                                /* required, 1 to 32 */
    int points;                               /* of a stage, at least 20 n_dim; 0 = 1000, more in more dimensions */
    int batch;                                /* most points of one call of log_likelihood; 0 = 1000 */
    uint64_t seed;                            /* any, 0 too */
    bml_mcmc_log_prob log_likelihood;         /* required; of theta, n points at once. -INFINITY is "impossible here" */
    const bml_mcmc_prior *prior;              /* the prior: this (kept by the caller, who frees it last), or */
    bml_mcmc_transform transform;             /* this, from the unit cube */
    bml_mcmc_log_prob guide;                  /* a cheap stand-in for log_likelihood near the posterior; NULL = none */
    bml_mcmc_learn learn;                     /* makes the guide anew from all likelihoods so far; NULL = it stays */
    void *user;                               /* handed to log_likelihood, transform, guide and learn */
    const char *const *names;                 /* [n_dim] of the parameters, for the verdict; kept. NULL = by number */
    double min_ess;                           /* effective posterior samples wanted; 0 = 10000 */
    double error;                             /* of ln Z, wanted; 0 = 0.05 */
    bml_mcmc_importance_progress_fn progress; /* called after every batch, NULL = none */
    void *progress_user;                      /* handed to progress */
} bml_mcmc_importance_config;

typedef struct bml_mcmc_importance_result {
    double log_z;          /* of the fresh draws alone */
    double log_z_error;    /* from the scatter of their weights */
    double information;    /* H, nats: posterior against prior */
    double ess;            /* effective posterior samples, 1/sum w^2 */
    double largest_weight; /* of one point, share of the posterior */
    double pareto;         /* shape of the largest weights: below 0.7 their mean and its error can be trusted, */
    double tail;           /* unless their excess over the others, this share, is below 0.05 and the error wanted; */
                           /* an excess of 0.1 is too much from a shape of 1/3 on */
    double strays;         /* short Markov chains: share that ended where the draws have 1 % of the posterior, */
    double strays_allowed; /* and what chance allows; more is mass that the draws miss */
    int converged;         /* min_ess and error are reached. The verdict judges more than that */
    uint64_t evaluations;  /* all, */
    uint64_t exploring_evaluations; /* and those that only made the density */
    size_t n_points;                /* fresh draws; the arrays below live until the next run, load or free */
    const double *theta;            /* [n_points][n_dim] */
    const double *log_likelihood;   /* [n_points] */
    const double *weight;           /* [n_points] posterior weights, sum 1 */
} bml_mcmc_importance_result;

typedef struct bml_mcmc_importance bml_mcmc_importance;

/* Makes a sampler. On failure *s is NULL, there is nothing to free, and why (unless NULL) has the reason.
   BAD_ARGUMENT, NO_MEMORY. */
BML_MCMC_DEF int bml_mcmc_importance_create(bml_mcmc_importance **s, const bml_mcmc_importance_config *config,
                                            char *why);
BML_MCMC_DEF void bml_mcmc_importance_free(bml_mcmc_importance *s);
/* What the last failing call has to add to its status. "" if nothing. */
BML_MCMC_DEF const char *bml_mcmc_importance_message(const bml_mcmc_importance *s);
/* Runs until done (OK) or until max_calls more likelihoods have been asked for (0: no limit; checked before each round
   of a few thousand): NOT_CONVERGED, with all results as they are; call again to go on. NOT_CONVERGED too, and for
   good, when 200 stages do not reach the posterior, or 10 min_ess fresh draws not min_ess, or 2 min_ess not a tenth of
   them. One run and many short ones give the same numbers. CANCELLED, NAN, INFINITE, BAD_TRANSFORM (the message names
   the point): the sampler stands at the end of the last whole round. NO_SUPPORT: the likelihood was -infinite wherever
   it was tried. NO_MEMORY. */
BML_MCMC_DEF int bml_mcmc_importance_run(bml_mcmc_importance *s, uint64_t max_calls);
/* Evidence and weights, once there are fresh draws: NOT_STARTED before. NO_SUPPORT, NO_MEMORY. */
BML_MCMC_DEF int bml_mcmc_importance_get_result(bml_mcmc_importance *s, bml_mcmc_importance_result *result);
/* The same points under another likelihood, log_likelihood[n_points] in the result's order, copied: as
   bml_mcmc_nested_reweigh. It lasts until the next run or load. */
BML_MCMC_DEF int bml_mcmc_importance_reweigh(bml_mcmc_importance *s, bml_mcmc_importance_result *result,
                                             const double *log_likelihood);
/* theta[n][n_dim] and, unless NULL, log_likelihood[n] of n equally weighted posterior draws in random order. */
BML_MCMC_DEF int bml_mcmc_importance_draw(bml_mcmc_importance *s, double *theta, double *log_likelihood, size_t n,
                                          uint64_t seed);
/* out[n_dim] from the weighted points; tau and rhat do not apply and are NaN. */
BML_MCMC_DEF int bml_mcmc_importance_summary(bml_mcmc_importance *s, bml_mcmc_summary *out);
/* The result judged: finished or not, ESS, a tenth of an effective sample for each draw, Pareto shape, largest weight,
   strays, mass at the prior's bounds. Asks for no likelihoods. Returns v->status. As above. */
BML_MCMC_DEF int bml_mcmc_importance_verdict(bml_mcmc_verdict *v, bml_mcmc_importance *s);
/* Save and resume to the bit, as of the ensemble above: n_dim, points and seed must agree, and the likelihood of the
   saved points (1e-6 of it), and the guide of the last densities; min_ess and error may differ: to go on to a smaller
   error. A refused state leaves the
   sampler as it was. BAD_STATE. */
BML_MCMC_DEF size_t bml_mcmc_importance_save_size(const bml_mcmc_importance *s);
BML_MCMC_DEF int bml_mcmc_importance_save(bml_mcmc_importance *s, void *buffer, size_t size);
BML_MCMC_DEF int bml_mcmc_importance_load(bml_mcmc_importance *s, const void *buffer, size_t size);
#endif /* BML_MCMC_NO_IMPORTANCE */

#ifndef BML_MCMC_NO_NUTS
/* ---- API: gradient sampling: NUTS ------------------------------------------------------------------------------- */
/* log_prob[n] and gradient[n][n_dim] = d log_prob/d theta at theta[n][n_dim]. */
typedef void (*bml_mcmc_gradient)(double *log_prob, double *gradient, const double *theta, int n, int n_dim,
                                  void *user);

enum { BML_MCMC_DIAGONAL, BML_MCMC_DENSE };

typedef struct bml_mcmc_nuts_progress {
    uint64_t draws;       /* made by all chains together, warm-up included */
    uint64_t last;        /* and when this run ends */
    uint64_t gradients;   /* evaluations so far */
    uint64_t divergences; /* after the warm-up, all chains */
} bml_mcmc_nuts_progress;
typedef int (*bml_mcmc_nuts_progress_fn)(const bml_mcmc_nuts_progress *progress, void *user); /* non-zero cancels */

typedef struct bml_mcmc_nuts_config {
    int n_dim;                   /* required, 1 to 10000 (dense: 1000) */
    int n_chains;                /* 0 = 4 */
    uint64_t seed;               /* any, 0 too */
    bml_mcmc_gradient log_prob;  /* required; log density of theta itself, without any Jacobian */
    void *user;                  /* handed to log_prob */
    int nan_policy;              /* BML_MCMC_NAN_STOPS, BML_MCMC_NAN_REJECTED */
    const bml_mcmc_prior *prior; /* its limits are used where none are given below, its bounds in the verdict, and
                                    bml_mcmc_nuts_start_prior draws from it; its density belongs into log_prob all the
                                    same. Kept by the caller, who frees it last. NULL = none */
    const char *const *names;    /* [n_dim] of the parameters, for the verdict; kept by the caller. NULL = by number */
    const double *lower;         /* [n_dim] limits, copied; infinite: none on that side. NULL = none at all */
    const double *upper;         /* likewise */
    int metric;                  /* mass matrix: BML_MCMC_DIAGONAL, BML_MCMC_DENSE */
    int warmup;                  /* draws of each chain, not kept, that adapt step and mass; 0 = 1000, at least 20 */
    const double *covariance;  /* of an earlier run, in the coordinates that are sampled (theta where it has no limits):
                                    [n_dim] variances, dense [n_dim][n_dim]; copied. It is the inverse mass matrix, and
                                    the warm-up finds the step alone. NULL = found by the warm-up */
    double step;               /* to begin with; 0 = searched for */
    double target_accept;      /* in (0,1); 0 = 0.8. Nearer to 1: smaller steps, for funnels */
    double gradient_tolerance; /* of the check at the start, see bml_mcmc_check_gradient; 0 = 1e-3. A network in
                                      float, whose rounding finite differences see, may need 1e-2 */
    int max_depth;             /* of a tree: 2^depth - 1 steps at most; 0 = 10, at most 16 */
    bml_mcmc_nuts_progress_fn progress; /* called each time that n_chains more draws are made, NULL = none */
    void *progress_user;                /* handed to progress */
} bml_mcmc_nuts_config;

typedef struct bml_mcmc_nuts_info {
    int n_dim;
    int n_chains;
    uint64_t gradients;      /* evaluations, warm-up and start included */
    uint64_t draws;          /* kept, of each chain */
    uint64_t divergences;    /* among them, all chains: the posterior has parts that were not reached */
    uint64_t walls;          /* trajectories that ended at -infinity: rejections, not counted above */
    uint64_t max_depth_hits; /* trees cut short by max_depth: slow, not wrong */
    uint64_t nans;           /* log-probabilities or gradients taken for -infinity */
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
/* The same from draws of config.prior, made again where the log-probability is not finite, up to 100 times. As above.
   */
BML_MCMC_DEF int bml_mcmc_nuts_start_prior(bml_mcmc_nuts *s);
/* The rest of the warm-up, if any, then n_draws more draws of every chain. After CANCELLED, NAN and INFINITE it may go
   on: each chain loses at most the draw under way. NOT_STARTED, NO_MEMORY, TOO_LARGE. */
BML_MCMC_DEF int bml_mcmc_nuts_run(bml_mcmc_nuts *s, size_t n_draws);
/* theta[n_draws][n_chains][n_dim], for bml_mcmc_summarize; lives until the next run, start, load or free. */
BML_MCMC_DEF bml_mcmc_chain bml_mcmc_nuts_chain(const bml_mcmc_nuts *s);
BML_MCMC_DEF bml_mcmc_nuts_info bml_mcmc_nuts_get_info(const bml_mcmc_nuts *s);
/* The draws judged: R-hat, ESS, divergences, E-BFMI, walls, trees cut short, mass at the prior's bounds. Returns
   v->status. BAD_ARGUMENT, NO_MEMORY. */
BML_MCMC_DEF int bml_mcmc_nuts_verdict(bml_mcmc_verdict *v, bml_mcmc_nuts *s);
/* *worst = the largest |g - d|/(|g| + |d| + norm) over parameters, g the callback's gradient at theta[n_dim], d the
   central difference that agrees best among steps of scale[i] (NULL: |theta| + 1) times 1e-1 ... 1e-7, norm 1e-3 of the
   largest |g| scale, plus rounding. BAD_GRADIENT when it exceeds
   1e-3 (the callback is wrong, or theta lies on a kink); NAN. */
BML_MCMC_DEF int bml_mcmc_check_gradient(double *worst, bml_mcmc_gradient f, const double *theta, const double *scale,
                                         int n_dim, void *user);

/* Save and resume to the bit, between runs. */
BML_MCMC_DEF size_t bml_mcmc_nuts_save_size(const bml_mcmc_nuts *s);
BML_MCMC_DEF int bml_mcmc_nuts_save(bml_mcmc_nuts *s, void *buffer, size_t size);
BML_MCMC_DEF int bml_mcmc_nuts_load(bml_mcmc_nuts *s, const void *buffer, size_t size);
#endif /* BML_MCMC_NO_NUTS */

/* ---- API: calibration ------------------------------------------------------------------------------------------- */
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

/* ---- API: calls without a reason -----------------------------------------------------------------------------------
   The last argument of a create, why, may be left out, and then means NULL. */
#define BML_MCMC_WHY_OPTIONAL_2(function, a, b, why, ...) function(a, b, why)
#define BML_MCMC_WHY_OPTIONAL_3(function, a, b, c, why, ...) function(a, b, c, why)
#define bml_mcmc_prior_create(...) BML_MCMC_WHY_OPTIONAL_3(bml_mcmc_prior_create, __VA_ARGS__, NULL, 0)
#define bml_mcmc_ensemble_create(...) BML_MCMC_WHY_OPTIONAL_2(bml_mcmc_ensemble_create, __VA_ARGS__, NULL, 0)
#define bml_mcmc_nested_create(...) BML_MCMC_WHY_OPTIONAL_2(bml_mcmc_nested_create, __VA_ARGS__, NULL, 0)
#define bml_mcmc_nuts_create(...) BML_MCMC_WHY_OPTIONAL_2(bml_mcmc_nuts_create, __VA_ARGS__, NULL, 0)
#define bml_mcmc_importance_create(...) BML_MCMC_WHY_OPTIONAL_2(bml_mcmc_importance_create, __VA_ARGS__, NULL, 0)

/* ---- end of API ------------------------------------------------------------------------------------------------- */
#endif /* BML_MCMC_H */

#if defined(BML_MCMC_IMPLEMENTATION) && !defined(BML_MCMC_IMPLEMENTED)
#define BML_MCMC_IMPLEMENTED

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "bml_mcmc.h: compile this file without -ffast-math and -Ofast (in gcc and clang: add -fno-fast-math)"
#endif
#include <float.h>
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16 && FLT_EVAL_METHOD != 1
#error "bml_mcmc.h: doubles must not be kept in wider registers (i386: -msse2 -mfpmath=sse; s390x: -std=gnu99)"
#endif
#include <math.h>
#include <stdarg.h>
#include <stdio.h> /* vsnprintf into message buffers; nothing is printed */
#include <stdlib.h>
#include <string.h>

#if defined(BML_MCMC_MALLOC) != defined(BML_MCMC_FREE) || defined(BML_MCMC_MALLOC) != defined(BML_MCMC_REALLOC)
#error "bml_mcmc.h: define BML_MCMC_MALLOC, BML_MCMC_REALLOC and BML_MCMC_FREE all, or none"
#endif
#ifndef BML_MCMC_MALLOC
#define BML_MCMC_MALLOC(n) malloc(n)
#define BML_MCMC_REALLOC(p, n) realloc(p, n)
#define BML_MCMC_FREE(p) free(p)
#define BML_MCMC__OWN_MALLOC
#endif
#define BML_MCMC__NAN ((double)NAN) /* the C library's are float: said aloud for -Wdouble-promotion */
#define BML_MCMC__INF ((double)INFINITY)
#define BML_MCMC__LN2 0.6931471805599453
#define BML_MCMC__SQRT_2PI 2.5066282746310002
#if defined(__GNUC__) || defined(__clang__)
#define BML_MCMC__RESTRICT __restrict__
#define BML_MCMC__PRINTF __attribute__((format(printf, 3, 4)))
#else
#define BML_MCMC__RESTRICT
#define BML_MCMC__PRINTF
#endif
/* Stands before a short loop: gcc 12 would unroll it to scalars before it looks for vectors. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 8
#define BML_MCMC__ROLLED _Pragma("GCC unroll 1")
#else
#define BML_MCMC__ROLLED
#endif

/* Contents: search for ">> name".
   >> status and memory                      statuses, messages, rules of configs, the bump allocator
   >> random numbers                         Philox4x32-10, the table of stream words
   >> linear algebra                         Cholesky, distances, ln Gamma, Phi
   >> sorting                                keys
   >> priors                                 base densities, bounds, joint densities
   >> moves                                  stretch, walk, DE, snooker
   >> moves from the ensemble's density      KDE, mixture, the table of moves
   >> ensemble: create and free              rules, the block
   >> ensemble: start                        balls, priors, given positions
   >> ensemble: steps                        half-steps, the chain
   >> saved states                           heads, checksums; those of the ensemble
   >> diagnostics                            autocorrelation, R-hat, ESS, quantiles
   >> verdict                                the reasons of a chain
   >> run until                              rounds, burn-in, rescue
   >> nested sampling: points                lists, trials
   >> nested sampling: the region            balls, ellipsoids, clusters
   >> nested sampling: slices                hit and run, their memory
   >> nested sampling: rounds                which method, how many sweeps
   >> nested sampling: evidence              volumes, weights, dynamic passes
   >> nested sampling: create, run, results  also summary and draws
   >> nested sampling: verdict               fresh draws against ln Z
   >> nested sampling: save and load         what a state must be
   >> importance: densities                  mixture, regression, what is kept
   >> importance: learning                   the regression's training
   >> importance: points                     the sampler, likelihoods
   >> importance: stages                     powers, weights, fits, chains
   >> importance: fresh draws                evidence
   >> importance: create, run, results       also the verdict
   >> importance: save and load              what a state must be
   >> NUTS                                   leapfrog, trees, adaptation
   >> NUTS: create, start, run, results      also the verdict
   >> NUTS: save and load                    what a state must be
   >> calibration                            simulation-based calibration, chi^2 */

/* >> status and memory
   What has a reason to give goes through bml_mcmc__fail. An object and its arrays are blocks cut up by bml_mcmc__take;
   what grows (chains, points) is a block of its own. Counts and indices are signed inside (ptrdiff_t), so that
   subscripts need no casts. */

BML_MCMC_DEF const char *bml_mcmc_strerror(int status) {
#define BML_MCMC__CASE(name, value, text) \
    if (status == value) return text;
    BML_MCMC_STATUS_TABLE(BML_MCMC__CASE)
#undef BML_MCMC__CASE
    return "unknown status";
}

/* A locale's decimal comma becomes a point: no text of ours has a comma between digits. */
static void bml_mcmc__mend_commas(char *text) {
    for (char *c = text; c[0] && c[1] && c[2]; c++) {
        int digit_before = c[0] >= '0' && c[0] <= '9';
        int digit_after = c[2] >= '0' && c[2] <= '9';
        if (c[1] == ',' && digit_before && digit_after) {
            c[1] = '.';
        }
    }
}

/* Writes the message and hands the status through: return bml_mcmc__fail(...). */
BML_MCMC__PRINTF static int bml_mcmc__fail(char *message, int status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(message, BML_MCMC_MESSAGE, format, args);
    va_end(args);
    bml_mcmc__mend_commas(message);
    return status;
}

/* What a create that fails leaves in `why`. */
static int bml_mcmc__say(char *why, int status, const char *message) {
    if (status == BML_MCMC_NO_MEMORY) {
        message = "out of memory";
    }
    if (why) {
        bml_mcmc__fail(why, status, "%s", message);
    }
    return status;
}

/* "theta = (1, 2.5, ...)" of x[d] appended to the message; what does not fit is left out. */
static void bml_mcmc__append_point(char *message, const double *x, ptrdiff_t d) {
    for (ptrdiff_t i = 0; i < d; i++) {
        size_t used = strlen(message);
        const char *before = i ? ", " : " theta = (";
        snprintf(message + used, BML_MCMC_MESSAGE - used, "%s%.10g", before, x[i]);
    }
    size_t used = strlen(message);
    snprintf(message + used, BML_MCMC_MESSAGE - used, ")");
    bml_mcmc__mend_commas(message);
}

/* Rules of a config's numbers: one that is zero becomes the fallback; all must be in [lo, hi], which NaN is not. */
enum { BML_MCMC__INT, BML_MCMC__REAL };

typedef struct bml_mcmc__rule {
    const char *name;
    size_t offset; /* in the struct */
    int type;
    double lo;
    double hi;
    double fallback; /* 0: none */
} bml_mcmc__rule;

static int bml_mcmc__apply_rule(void *config, const bml_mcmc__rule *rule, char *message) {
    char *member = (char *)config + rule->offset;
    int integer = 0;
    double value;
    if (rule->type == BML_MCMC__INT) {
        memcpy(&integer, member, sizeof integer);
        value = integer;
    } else {
        memcpy(&value, member, sizeof value);
    }
    if (value == 0) {
        value = rule->fallback;
    }
    if (!(value >= rule->lo && value <= rule->hi)) {
        return bml_mcmc__fail(message, BML_MCMC_BAD_ARGUMENT, "%s = %.10g: %smust be in [%.10g, %.10g]", rule->name,
                              value, value == 0 ? "required, " : "", rule->lo, rule->hi);
    }
    integer = (int)value;
    if (rule->type == BML_MCMC__INT) {
        memcpy(member, &integer, sizeof integer);
    } else {
        memcpy(member, &value, sizeof value);
    }
    return BML_MCMC_OK;
}

static int bml_mcmc__apply_rules(void *config, const bml_mcmc__rule *rules, int n, char *message) {
    for (int i = 0; i < n; i++) {
        int status = bml_mcmc__apply_rule(config, &rules[i], message);
        if (status) return status;
    }
    return BML_MCMC_OK;
}

/* *bytes = a b c, or 0 if that overflows or is more than a signed index can count. */
static int bml_mcmc__multiply(size_t *bytes, ptrdiff_t a, ptrdiff_t b, ptrdiff_t c) {
    size_t most = (size_t)PTRDIFF_MAX;
    size_t product = (size_t)a;
    if (a < 0 || b < 0 || c < 0) {
        return 0;
    }
    if (b && product > most / (size_t)b) {
        return 0;
    }
    product *= (size_t)b;
    if (c && product > most / (size_t)c) {
        return 0;
    }
    *bytes = product * (size_t)c;
    return 1;
}

/* a b doubles, all zero; NULL on overflow or without memory. */
static double *bml_mcmc__doubles(ptrdiff_t a, ptrdiff_t b) {
    size_t bytes;
    if (!bml_mcmc__multiply(&bytes, a, b, sizeof(double))) {
        return NULL;
    }
    double *p = (double *)BML_MCMC_MALLOC(bytes ? bytes : 1);
    if (p) {
        memset(p, 0, bytes);
    }
    return p;
}

/* The block p made longer, to a b doubles: 0 when it cannot be, and then *p is as it was. */
static int bml_mcmc__grow(double **p, ptrdiff_t a, ptrdiff_t b) {
    size_t bytes;
    if (!bml_mcmc__multiply(&bytes, a, b, sizeof(double))) {
        return 0;
    }
    double *longer = (double *)BML_MCMC_REALLOC(*p, bytes ? bytes : 1);
    if (!longer) {
        return 0;
    }
    *p = longer;
    return 1;
}

/* Bump allocator over one block of doubles: pass base = NULL to count. */
static double *bml_mcmc__take(double *base, ptrdiff_t *used, ptrdiff_t n) {
    double *p = base ? base + *used : NULL;
    *used += n;
    return p;
}

/* The doubles that n things of `size` bytes need. */
static ptrdiff_t bml_mcmc__room(ptrdiff_t n, size_t size) {
    return (n * (ptrdiff_t)size + 7) / 8;
}

static void bml_mcmc__copy(double *to, const double *from, ptrdiff_t n) {
    memcpy(to, from, sizeof(double) * (size_t)n);
}

static void bml_mcmc__clear(double *x, ptrdiff_t n) {
    memset(x, 0, sizeof(double) * (size_t)n);
}

static void bml_mcmc__fill(double *x, double value, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++)
        x[i] = value;
}

static double bml_mcmc__clamp(double x, double lo, double hi) {
    if (x < lo) {
        return lo;
    }
    return x > hi ? hi : x;
}

static ptrdiff_t bml_mcmc__clamp_int(ptrdiff_t n, ptrdiff_t lo, ptrdiff_t hi) {
    if (n < lo) {
        return lo;
    }
    return n > hi ? hi : n;
}

static int bml_mcmc__is_finite(double x) {
    return fabs(x) <= DBL_MAX;
}

static int bml_mcmc__all_finite(const double *x, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++)
        if (!bml_mcmc__is_finite(x[i])) {
            return 0;
        }
    return 1;
}

/* What a callback may not answer. */
static int bml_mcmc__judge(double log_prob) {
    if (log_prob != log_prob) {
        return BML_MCMC_NAN;
    }
    return log_prob > DBL_MAX ? BML_MCMC_INFINITE : BML_MCMC_OK;
}

/* >> random numbers
   Philox4x32-10; the numbers of (seed, stream, counter) are those of every bml header. */

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

/* The sequence whose counter begins with block 0 and has words 1, 2 and 3 as given. */
static bml_mcmc_rng bml_mcmc__stream(uint64_t seed, uint32_t word1, uint32_t word2, uint32_t word3) {
    bml_mcmc_rng rng = {{(uint32_t)seed, (uint32_t)(seed >> 32)}, {0, word1, word2, word3}, {0, 0, 0, 0}, 4};
    return rng;
}

BML_MCMC_DEF void bml_mcmc_rng_init(bml_mcmc_rng *rng, uint64_t seed, uint64_t stream) {
    *rng = bml_mcmc__stream(seed, (uint32_t)stream, (uint32_t)(stream >> 32), 0xFFFFFFFFu);
}

BML_MCMC_DEF uint32_t bml_mcmc_rng_u32(bml_mcmc_rng *rng) {
    if (rng->used >= 4) {
        bml_mcmc_philox(rng->block, rng->counter, rng->key);
        rng->counter[0]++;
        if (rng->counter[0] == 0) {
            rng->counter[3]--;
        }
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

BML_MCMC_DEF double bml_mcmc_rng_uniform(bml_mcmc_rng *rng) {
    uint64_t high = bml_mcmc_rng_u32(rng);
    uint64_t low = bml_mcmc_rng_u32(rng);
    uint64_t bits = (high << 32 | low) >> 12;
    return ((double)bits + 0.5) * (1.0 / 4503599627370496.0); /* 2^-52: + 0.5 stays exact */
}

BML_MCMC_DEF double bml_mcmc_rng_normal(bml_mcmc_rng *rng) {
    double radius = sqrt(-2 * log(bml_mcmc_rng_uniform(rng)));
    return radius * cos(6.283185307179586 * bml_mcmc_rng_uniform(rng));
}
/* << random numbers */
/* Stream words. Words 1, 2 and 3 of the counter in this header:
       ensemble   walker (or SHARED)      step, low half      step, high half (below 2^31)
       start      walker                  0                   0
       reference  SHARED                  0                   0
       nested     slice chain, or below   round, low half     round, high half (below 2^31)
       importance round                   what for            0x5A000001: steps and rounds end below
       NUTS       chain                   draw, low half      2^31 + draw, high half
       users      stream, low half        stream, high half   2^32 - 1 and below                                    */
enum {
    BML_MCMC__RESCUE_STREAM = -6, /* places for stuck walkers */
    BML_MCMC__CHECK_STREAM,       /* fresh draws that check ln Z: word 2 is the batch */
    BML_MCMC__SHRINK_STREAM,      /* simulated shrinkages: word 2 is the simulation */
    BML_MCMC__RANK_STREAM,        /* ties of insertion ranks */
    BML_MCMC__SLICE_ORDER,        /* the order in which a round's slices begin */
    BML_MCMC__SHARED              /* -1: what a whole step or round draws */
};

/* The stream of something that is numbered by 64 bits. */
static bml_mcmc_rng bml_mcmc__numbered_stream(uint64_t seed, int who, uint64_t number) {
    return bml_mcmc__stream(seed, (uint32_t)who, (uint32_t)number, (uint32_t)(number >> 32));
}

/* 0..n-1; the bias, n/2^32, is far below what any chain can show. */
static ptrdiff_t bml_mcmc__below(bml_mcmc_rng *rng, ptrdiff_t n) {
    uint64_t scaled = (uint64_t)bml_mcmc_rng_u32(rng) * (uint64_t)n;
    return (ptrdiff_t)(scaled >> 32);
}

#define BML_MCMC__LAST_STEP ((uint64_t)1 << 62)

/* >> linear algebra
   Of the size of a covariance matrix: Cholesky factors and what is done with them. */

static double bml_mcmc__dot(const double *a, const double *b, ptrdiff_t n) {
    double sum = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static double bml_mcmc__distance2(const double *a, const double *b, ptrdiff_t n) {
    double sum = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

static void bml_mcmc__difference(double *to, const double *a, const double *b, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++)
        to[i] = a[i] - b[i];
}

/* a[d][d], symmetric, lower half used: replaced by its Cholesky factor L, upper half zeroed. 0 when a pivot is not
   above `tolerance` times its diagonal element, which is where a direction is lost to rounding. */
static int bml_mcmc__cholesky(double *a, ptrdiff_t d, double tolerance) {
    for (ptrdiff_t i = 0; i < d; i++) {
        double *row = a + i * d;
        double diagonal = row[i];
        for (ptrdiff_t j = 0; j <= i; j++) {
            const double *other = a + j * d;
            double s = row[j];
            for (ptrdiff_t k = 0; k < j; k++)
                s -= row[k] * other[k];
            if (j < i) {
                row[j] = s / other[j];
            } else if (s > tolerance * diagonal && s < DBL_MAX) {
                row[i] = sqrt(s);
            } else {
                return 0;
            }
        }
        bml_mcmc__clear(row + i + 1, d - i - 1);
    }
    return 1;
}

/* inverse[d][d] of the lower triangular L; returns log det L. */
static double bml_mcmc__invert_lower(double *inverse, const double *L, ptrdiff_t d) {
    double log_det = 0;
    for (ptrdiff_t i = 0; i < d; i++) {
        double *row = inverse + i * d;
        double r = 1 / L[i * d + i];
        log_det -= log(r);
        bml_mcmc__clear(row, d);
        for (ptrdiff_t j = 0; j < i; j++) {
            double s = 0;
            for (ptrdiff_t k = j; k < i; k++)
                s += L[i * d + k] * inverse[k * d + j];
            row[j] = -s * r;
        }
        row[i] = r;
    }
    return log_det;
}

/* y = L x, L lower triangular. y and x are different arrays. */
static void bml_mcmc__lower_times(double *BML_MCMC__RESTRICT y, const double *BML_MCMC__RESTRICT L,
                                  const double *BML_MCMC__RESTRICT x, ptrdiff_t d) {
    for (ptrdiff_t i = 0; i < d; i++)
        y[i] = bml_mcmc__dot(L + i * d, x, i + 1);
}

/* |A (x - center)|^2, A lower triangular. v[d]: scratch. */
static double bml_mcmc__mahalanobis2(const double *A, const double *x, const double *center, double *v, ptrdiff_t d) {
    double sum = 0;
    bml_mcmc__difference(v, x, center, d);
    for (ptrdiff_t i = 0; i < d; i++) {
        double z = bml_mcmc__dot(A + i * d, v, i + 1);
        sum += z * z;
    }
    return sum;
}

/* Lower half of scatter[d][d] += weight v v^T. */
static void bml_mcmc__add_outer(double *scatter, double weight, const double *v, ptrdiff_t d) {
    for (ptrdiff_t i = 0; i < d; i++) {
        double *row = scatter + i * d;
        double vi = weight * v[i];
        for (ptrdiff_t j = 0; j <= i; j++)
            row[j] += vi * v[j];
    }
}

/* mean[d] and lower half of covariance[d][d] of x[n][d]; covariance zeroed above the diagonal. */
static void bml_mcmc__moments(double *mean, double *covariance, const double *x, ptrdiff_t n, ptrdiff_t d) {
    bml_mcmc__clear(mean, d);
    bml_mcmc__clear(covariance, d * d);
    for (ptrdiff_t s = 0; s < n; s++)
        for (ptrdiff_t i = 0; i < d; i++)
            mean[i] += x[s * d + i] / (double)n;
    for (ptrdiff_t s = 0; s < n; s++)
        for (ptrdiff_t i = 0; i < d; i++) {
            double *row = covariance + i * d;
            double xi = (x[s * d + i] - mean[i]) / (double)(n - 1);
            for (ptrdiff_t j = 0; j <= i; j++)
                row[j] += xi * (x[s * d + j] - mean[j]);
        }
}

/* exp(a[k] - max)/sum in place; returns log sum exp a. */
static double bml_mcmc__softmax(double *a, ptrdiff_t n) {
    double top = a[0];
    double sum = 0;
    for (ptrdiff_t k = 1; k < n; k++)
        top = a[k] > top ? a[k] : top;
    for (ptrdiff_t k = 0; k < n; k++) {
        a[k] = a[k] - top < -40 ? 0 : exp(a[k] - top);
        sum += a[k];
    }
    for (ptrdiff_t k = 0; k < n; k++)
        a[k] /= sum;
    return top + log(sum);
}

/* ln Gamma(x), x > 0: Stirling's series (Abramowitz & Stegun 6.1.41) beyond 10, the recurrence below it; good to
   2e-15. The C library's own writes a global, signgam. */
static double bml_mcmc__log_gamma(double x) {
    double product = 1;
    while (x < 10) {
        product *= x;
        x += 1;
    }
    double w = 1 / (x * x);
    double series = 1.0 / 1680 - w * (1.0 / 1188 - w * (691.0 / 360360));
    series = 1.0 / 12 - w * (1.0 / 360 - w * (1.0 / 1260 - w * series));
    return (x - 0.5) * log(x) - x + 0.9189385332046727 + series / x - log(product);
}

static double bml_mcmc__phi(double z) {
    return 0.5 * erfc(-0.7071067811865476 * z);
}

/* z with Phi(z) = p: Abramowitz & Stegun 26.2.23 (error < 4.5e-4), then Halley's iteration on erfc. */
static double bml_mcmc__phi_inverse(double p) {
    if (p > 0.5) {
        return -bml_mcmc__phi_inverse(1 - p);
    }
    if (!(p > DBL_MIN)) {
        return -38; /* Phi(-38) = 2.9e-316 */
    }
    double t = sqrt(-2 * log(p));
    double above = 2.515517 + t * (0.802853 + t * 0.010328);
    double below = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308));
    double z = -(t - above / below);
    for (int i = 0; i < 3; i++) {
        double step = (bml_mcmc__phi(z) - p) * BML_MCMC__SQRT_2PI * exp(0.5 * z * z);
        z -= step / (1 + 0.5 * z * step);
    }
    return z;
}

/* >> sorting */

typedef struct bml_mcmc__key { /* sorts points: by value, then by chance */
    double value;
    double tie;
    ptrdiff_t index;
} bml_mcmc__key;

static int bml_mcmc__compare_keys(const void *a, const void *b) {
    const bml_mcmc__key *x = (const bml_mcmc__key *)a;
    const bml_mcmc__key *y = (const bml_mcmc__key *)b;
    if (x->value != y->value) {
        return x->value < y->value ? -1 : 1;
    }
    if (x->tie != y->tie) {
        return x->tie < y->tie ? -1 : 1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

static void bml_mcmc__sort_keys(bml_mcmc__key *key, ptrdiff_t n) {
    if (n > 0) {
        qsort(key, (size_t)n, sizeof *key, bml_mcmc__compare_keys);
    }
}

/* The bits of a double as an integer of the same order. */
static uint64_t bml_mcmc__ordinal(double x) {
    const uint64_t sign = (uint64_t)1 << 63;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & sign ? ~bits : bits | sign;
}

/* key[n] sorted by value, equal ones as they were: a radix sort, least digits first, several times faster than
   comparisons where n is large. spare[n]. */
static void bml_mcmc__sort_values(bml_mcmc__key *key, bml_mcmc__key *spare, ptrdiff_t n) {
    enum { BITS = 11 };
    enum { DIGITS = 1 << BITS };
    for (int pass = 0; pass < 6; pass++) { /* an even number: the result lies in key again */
        ptrdiff_t start[DIGITS + 1] = {0};
        for (ptrdiff_t i = 0; i < n; i++) {
            uint64_t digit = bml_mcmc__ordinal(key[i].value) >> (BITS * pass) & (DIGITS - 1);
            start[digit + 1]++;
        }
        for (int d = 0; d < DIGITS; d++)
            start[d + 1] += start[d];
        for (ptrdiff_t i = 0; i < n; i++) {
            uint64_t digit = bml_mcmc__ordinal(key[i].value) >> (BITS * pass) & (DIGITS - 1);
            spare[start[digit]++] = key[i];
        }
        bml_mcmc__key *sorted = spare;
        spare = key;
        key = sorted;
    }
}

#if !defined(BML_MCMC_NO_NESTED) || !defined(BML_MCMC_NO_NUTS)
static double bml_mcmc__log_add(double a, double b) {
    double top = a > b ? a : b;
    if (a == b) {
        return a + BML_MCMC__LN2;
    }
    return top + log1p(exp(-fabs(a - b)));
}
#endif

#if !defined(BML_MCMC_NO_NESTED) || !defined(BML_MCMC_NO_IMPORTANCE)
static int bml_mcmc__compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bml_mcmc__sort_doubles(double *x, ptrdiff_t n) {
    if (n > 0) {
        qsort(x, (size_t)n, sizeof *x, bml_mcmc__compare_doubles);
    }
}
#endif

/* >> priors
   Every base density b has three functions of an interval [lo, hi] inside its limits: its mass there, the fraction of
   that mass below x, and the x below which a fraction u lies. Conditional and joint priors are both made of them. What
   joint priors need beside it, the mass M of the parameters that follow, is tabulated once over the fractions of the
   joint parameters, 33 nodes for each, and interpolated linearly in all of them. */

enum { BML_MCMC__NODES = 33 };
enum { BML_MCMC__MAX_JOINT = 4 };
enum { BML_MCMC__MAX_PRIOR = 1024 };

struct bml_mcmc_prior {
    ptrdiff_t n_dim;
    ptrdiff_t n_joint;
    ptrdiff_t joint[BML_MCMC__MAX_JOINT]; /* the joint parameters */
    double *follow[BML_MCMC__MAX_JOINT];  /* [NODES]...[NODES] of joint parameters 0..k: M of what follows number k */
    double log_z;                         /* log of the mass of the joint part, M of its first parameter */
    bml_mcmc_prior_param *param;          /* [n_dim] x and density point into the block */
    double **cumulative;                  /* [n_dim] NULL or [n] of a table */
    char message[BML_MCMC_MESSAGE];
};

/* Piecewise linear density w at nodes x: the integral up to `at` within interval i. */
static double bml_mcmc__linear_integral(const double *x, const double *w, ptrdiff_t i, double at) {
    double t = at - x[i];
    double slope = (w[i + 1] - w[i]) / (x[i + 1] - x[i]);
    return t * (w[i] + 0.5 * slope * t);
}

/* Where that integral reaches `area`: w t + slope t^2/2 = area, in the form that has no cancellation. */
static double bml_mcmc__linear_solve(const double *x, const double *w, ptrdiff_t i, double area) {
    double h = x[i + 1] - x[i];
    double slope = (w[i + 1] - w[i]) / h;
    double root = w[i] * w[i] + 2 * slope * area;
    double sum = w[i] + sqrt(root > 0 ? root : 0);
    double t = sum > 0 ? 2 * area / sum : 0;
    return x[i] + bml_mcmc__clamp(t, 0, h);
}

/* The interval of the increasing x[n] that holds `at`: 0..n-2. */
static ptrdiff_t bml_mcmc__interval(const double *x, ptrdiff_t n, double at) {
    ptrdiff_t lo = 0;
    ptrdiff_t hi = n - 1;
    while (hi - lo > 1) {
        ptrdiff_t mid = (lo + hi) / 2;
        if (x[mid] <= at) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static double bml_mcmc__table_cdf(const bml_mcmc_prior_param *p, const double *cumulative, double x) {
    ptrdiff_t i = bml_mcmc__interval(p->x, p->n, x);
    return cumulative[i] + bml_mcmc__linear_integral(p->x, p->density, i, x);
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

static double bml_mcmc__normal_mass(const bml_mcmc_prior_param *p, double lo, double hi) {
    double a;
    double b;
    bml_mcmc__normal_interval(p, lo, hi, &a, &b);
    return bml_mcmc__phi(b) - bml_mcmc__phi(a);
}

static double bml_mcmc__base_mass(const bml_mcmc_prior *prior, ptrdiff_t i, double lo, double hi) {
    const bml_mcmc_prior_param *p = &prior->param[i];
    const double *cumulative = prior->cumulative[i];
    if (!(hi > lo)) {
        return 0;
    }
    switch (p->kind) {
    case BML_MCMC_UNIFORM: return (hi - lo) / (p->upper - p->lower);
    case BML_MCMC_LOG_UNIFORM: return log(hi / lo) / log(p->upper / p->lower);
    case BML_MCMC_NORMAL: return bml_mcmc__normal_mass(p, lo, hi) / bml_mcmc__normal_mass(p, p->lower, p->upper);
    default: return bml_mcmc__table_cdf(p, cumulative, hi) - bml_mcmc__table_cdf(p, cumulative, lo);
    }
}

static double bml_mcmc__normal_x(const bml_mcmc_prior_param *p, double lo, double hi, double u) {
    double a;
    double b;
    int mirror = bml_mcmc__normal_interval(p, lo, hi, &a, &b);
    double low = bml_mcmc__phi(a);
    double z = bml_mcmc__phi_inverse(low + (mirror ? 1 - u : u) * (bml_mcmc__phi(b) - low));
    return p->mean + p->sd * (mirror ? -z : z);
}

static double bml_mcmc__table_x(const bml_mcmc_prior_param *p, const double *cumulative, double lo, double hi,
                                double u) {
    double low = bml_mcmc__table_cdf(p, cumulative, lo);
    low += u * (bml_mcmc__table_cdf(p, cumulative, hi) - low);
    ptrdiff_t k = bml_mcmc__interval(cumulative, p->n, low);
    return bml_mcmc__linear_solve(p->x, p->density, k, low - cumulative[k]);
}

static double bml_mcmc__base_x(const bml_mcmc_prior *prior, ptrdiff_t i, double lo, double hi, double u) {
    const bml_mcmc_prior_param *p = &prior->param[i];
    double x = lo;
    switch (p->kind) {
    case BML_MCMC_UNIFORM: x = lo + u * (hi - lo); break;
    case BML_MCMC_LOG_UNIFORM: x = lo * exp(u * log(hi / lo)); break;
    case BML_MCMC_NORMAL: x = bml_mcmc__normal_x(p, lo, hi, u); break;
    default: x = bml_mcmc__table_x(p, prior->cumulative[i], lo, hi, u);
    }
    return bml_mcmc__clamp(x, lo, hi); /* rounding must not leave the interval */
}

static double bml_mcmc__base_u(const bml_mcmc_prior *prior, ptrdiff_t i, double lo, double hi, double x) {
    const bml_mcmc_prior_param *p = &prior->param[i];
    double all = bml_mcmc__base_mass(prior, i, lo, hi);
    int upper_half = p->kind == BML_MCMC_NORMAL && x > p->mean; /* small masses are exact, differences not */
    double u = upper_half ? 1 - bml_mcmc__base_mass(prior, i, x, hi) / all : bml_mcmc__base_mass(prior, i, lo, x) / all;
    return bml_mcmc__clamp(u, 0, 1);
}

static double bml_mcmc__table_density(const bml_mcmc_prior_param *p, double x) {
    ptrdiff_t k = bml_mcmc__interval(p->x, p->n, x);
    double rise = p->density[k + 1] - p->density[k];
    return p->density[k] + rise * (x - p->x[k]) / (p->x[k + 1] - p->x[k]);
}

static double bml_mcmc__base_log_density(const bml_mcmc_prior *prior, ptrdiff_t i, double x) {
    const bml_mcmc_prior_param *p = &prior->param[i];
    double z = (x - p->mean) / p->sd;
    switch (p->kind) {
    case BML_MCMC_UNIFORM: return -log(p->upper - p->lower);
    case BML_MCMC_LOG_UNIFORM: return -log(x * log(p->upper / p->lower));
    case BML_MCMC_NORMAL:
        return -0.5 * z * z - log(BML_MCMC__SQRT_2PI * p->sd * bml_mcmc__normal_mass(p, p->lower, p->upper));
    default: return log(bml_mcmc__table_density(p, x));
    }
}

/* The interval of parameter i given theta[0..i-1]; 0 when it is empty. */
static int bml_mcmc__limits(const bml_mcmc_prior *prior, ptrdiff_t i, const double *theta, double *lo, double *hi) {
    const bml_mcmc_prior_param *p = &prior->param[i];
    *lo = p->lower;
    *hi = p->upper;
    if (p->bounds) {
        p->bounds(lo, hi, theta, (int)i, p->user);
    }
    if (!(*lo >= p->lower)) { /* bounds narrow, they do not widen */
        *lo = p->lower;
    }
    if (!(*hi <= p->upper)) {
        *hi = p->upper;
    }
    return *hi > *lo;
}

static double bml_mcmc__follow_mass(const bml_mcmc_prior *prior, ptrdiff_t k, double *theta, ptrdiff_t row);

/* Fills row number `row` of joint parameter k's table: M of what follows, with the parameter at the fraction
   g/(NODES - 1) of its mass in its bounds. Returns the mean over that fraction. theta[] of the parameters before is
   given, the rest is scratch. */
static double bml_mcmc__fill_follow(const bml_mcmc_prior *prior, ptrdiff_t k, double *theta, ptrdiff_t row, double lo,
                                    double hi) {
    ptrdiff_t i = prior->joint[k];
    double *follow = prior->follow[k] + row * BML_MCMC__NODES;
    double sum = 0;
    for (ptrdiff_t g = 0; g < BML_MCMC__NODES; g++) {
        int end = g == 0 || g == BML_MCMC__NODES - 1;
        theta[i] = bml_mcmc__base_x(prior, i, lo, hi, (double)g / (BML_MCMC__NODES - 1));
        follow[g] = bml_mcmc__follow_mass(prior, k, theta, row * BML_MCMC__NODES + g);
        sum += follow[g] * (end ? 0.5 : 1);
    }
    return sum / (BML_MCMC__NODES - 1);
}

/* The base mass of the parameters after joint parameter k inside their bounds; fills the tables of the joint ones. */
static double bml_mcmc__follow_mass(const bml_mcmc_prior *prior, ptrdiff_t k, double *theta, ptrdiff_t row) {
    double mass = 1;
    double lo;
    double hi;
    for (ptrdiff_t i = prior->joint[k] + 1; i < prior->n_dim; i++) {
        /* nothing depends on a parameter that is not joint: its mass is a factor */
        if (!bml_mcmc__limits(prior, i, theta, &lo, &hi)) {
            return 0;
        }
        mass *= bml_mcmc__base_mass(prior, i, lo, hi);
        if (prior->param[i].joint) {
            return mass * bml_mcmc__fill_follow(prior, k + 1, theta, row, lo, hi);
        }
    }
    return mass;
}

/* row[NODES] of joint parameter k, interpolated at the fractions v[k] of those before it. */
static void bml_mcmc__follow_row(double *row, const bml_mcmc_prior *prior, ptrdiff_t k, const double *v) {
    bml_mcmc__clear(row, BML_MCMC__NODES);
    for (ptrdiff_t corner = 0; corner < (ptrdiff_t)1 << k; corner++) {
        double weight = 1;
        ptrdiff_t at = 0;
        for (ptrdiff_t j = 0; j < k; j++) {
            double place = v[j] * (BML_MCMC__NODES - 1);
            ptrdiff_t low = bml_mcmc__clamp_int((ptrdiff_t)place, 0, BML_MCMC__NODES - 2);
            ptrdiff_t high = (corner >> j) & 1;
            weight *= high ? place - (double)low : 1 - (place - (double)low);
            at = at * BML_MCMC__NODES + low + high;
        }
        if (weight == 0) {
            continue;
        }
        const double *from = prior->follow[k] + at * BML_MCMC__NODES;
        for (ptrdiff_t g = 0; g < BML_MCMC__NODES; g++)
            row[g] += weight * from[g];
    }
}

/* cumulative[NODES] of the piecewise linear density `weight` on [0, 1], and its nodes. */
static void bml_mcmc__accumulate(double *node, double *cumulative, const double *weight) {
    node[0] = cumulative[0] = 0;
    for (ptrdiff_t g = 1; g < BML_MCMC__NODES; g++) {
        double mean = 0.5 * (weight[g] + weight[g - 1]);
        node[g] = (double)g / (BML_MCMC__NODES - 1);
        cumulative[g] = cumulative[g - 1] + mean * (node[g] - node[g - 1]);
    }
}

/* u uniform -> v, which has the piecewise linear density `weight` on [0,1]. -1 without mass. */
static double bml_mcmc__weigh_fraction(const double *weight, double u) {
    double node[BML_MCMC__NODES];
    double cumulative[BML_MCMC__NODES];
    bml_mcmc__accumulate(node, cumulative, weight);
    double total = cumulative[BML_MCMC__NODES - 1];
    if (!(total > 0)) {
        return -1;
    }
    ptrdiff_t g = bml_mcmc__interval(cumulative, BML_MCMC__NODES, u * total);
    return bml_mcmc__linear_solve(node, weight, g, u * total - cumulative[g]);
}

/* And back. */
static double bml_mcmc__unweigh_fraction(const double *weight, double v) {
    double node[BML_MCMC__NODES];
    double cumulative[BML_MCMC__NODES];
    bml_mcmc__accumulate(node, cumulative, weight);
    double total = cumulative[BML_MCMC__NODES - 1];
    if (!(total > 0)) {
        return -1;
    }
    ptrdiff_t g = bml_mcmc__interval(node, BML_MCMC__NODES, v);
    double u = (cumulative[g] + bml_mcmc__linear_integral(node, weight, g, v)) / total;
    return u > 1 ? 1 : u;
}

static int bml_mcmc__table_check(bml_mcmc_prior *prior, ptrdiff_t i) {
    const bml_mcmc_prior_param *p = &prior->param[i];
    if (!p->x || !p->density || p->n < 2) {
        return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT,
                              "parameter %d: a table needs x, density and n >= 2 (n = %d)", (int)i, p->n);
    }
    for (int k = 0; k < p->n; k++) {
        int good = bml_mcmc__is_finite(p->x[k]) && p->density[k] >= 0 && p->density[k] <= DBL_MAX;
        if (good && (k == 0 || p->x[k] > p->x[k - 1])) {
            continue;
        }
        return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT,
                              "parameter %d: row %d of its table, x = %g, density = %g: x must increase, density be "
                              "finite and not negative",
                              (int)i, k, p->x[k], p->density[k]);
    }
    return BML_MCMC_OK;
}

/* Copies the table of parameter i and normalises it within its limits: its ends, unless narrower ones are given. */
static int bml_mcmc__table_normalise(bml_mcmc_prior *prior, ptrdiff_t i, double *x) {
    bml_mcmc_prior_param *p = &prior->param[i];
    ptrdiff_t n = p->n;
    double *w = x + n;
    double *cumulative = w + n;
    bml_mcmc__copy(x, p->x, n);
    bml_mcmc__copy(w, p->density, n);
    for (ptrdiff_t k = 1; k < n; k++)
        cumulative[k] = cumulative[k - 1] + 0.5 * (w[k] + w[k - 1]) * (x[k] - x[k - 1]);
    p->x = x;
    p->density = w;
    prior->cumulative[i] = cumulative;
    if (p->lower == 0 && p->upper == 0) {
        p->lower = x[0];
        p->upper = x[n - 1];
    }
    if (!(p->lower >= x[0] && p->upper <= x[n - 1] && p->lower < p->upper)) {
        return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT,
                              "parameter %d: limits [%g, %g] must be inside its table, [%g, %g]", (int)i, p->lower,
                              p->upper, x[0], x[n - 1]);
    }
    double total = bml_mcmc__table_cdf(p, cumulative, p->upper) - bml_mcmc__table_cdf(p, cumulative, p->lower);
    if (!(total > 0 && total <= DBL_MAX)) {
        return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT, "parameter %d: its table holds no mass", (int)i);
    }
    for (ptrdiff_t k = 0; k < n; k++) {
        w[k] /= total;
        cumulative[k] /= total;
    }
    return BML_MCMC_OK;
}

/* What is wrong with a parameter that is not a table; NULL if nothing. */
static const char *bml_mcmc__param_wrong(bml_mcmc_prior_param *p) {
    if (p->lower != p->lower || p->upper != p->upper) {
        return "a limit is NaN";
    }
    if (p->kind == BML_MCMC_NORMAL) {
        if (p->lower == 0 && p->upper == 0) {
            p->lower = -BML_MCMC__INF;
            p->upper = BML_MCMC__INF;
        }
        if (!(bml_mcmc__is_finite(p->mean) && p->sd > 0 && p->sd <= DBL_MAX)) {
            return "mean must be finite, sd positive";
        }
        if (!(bml_mcmc__normal_mass(p, p->lower, p->upper) > 1e-290)) {
            return "its limits leave no mass (lower < upper, within 36 sd)";
        }
        return NULL;
    }
    if (!(p->upper > p->lower && p->upper - p->lower <= DBL_MAX)) {
        return "lower < upper, both finite, are needed";
    }
    if (p->kind == BML_MCMC_LOG_UNIFORM && !(p->lower > 0)) {
        return "a log-uniform prior needs lower > 0";
    }
    return NULL;
}

static int bml_mcmc__param_check(bml_mcmc_prior *prior, ptrdiff_t i) {
    bml_mcmc_prior_param *p = &prior->param[i];
    if (p->kind < BML_MCMC_UNIFORM || p->kind > BML_MCMC_TABLE) {
        return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT, "parameter %d: kind = %d: must be in [%d, %d]",
                              (int)i, p->kind, (int)BML_MCMC_UNIFORM, (int)BML_MCMC_TABLE);
    }
    if (p->kind == BML_MCMC_TABLE) {
        return bml_mcmc__table_check(prior, i);
    }
    const char *wrong = bml_mcmc__param_wrong(p);
    if (!wrong) {
        return BML_MCMC_OK;
    }
    return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT,
                          "parameter %d: lower = %g, upper = %g, mean = %g, sd = %g: %s", (int)i, p->lower, p->upper,
                          p->mean, p->sd, wrong);
}

static int bml_mcmc__find_joint(bml_mcmc_prior *prior) {
    for (ptrdiff_t i = 0; i < prior->n_dim; i++) {
        if (!prior->param[i].joint) {
            continue;
        }
        if (prior->n_joint == BML_MCMC__MAX_JOINT) {
            return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT,
                                  "parameter %d is joint number %d: %d are possible", (int)i, (int)prior->n_joint + 1,
                                  (int)BML_MCMC__MAX_JOINT);
        }
        prior->joint[prior->n_joint++] = i;
    }
    if (prior->n_joint && prior->param[prior->joint[0]].bounds) {
        return bml_mcmc__fail(prior->message, BML_MCMC_BAD_ARGUMENT,
                              "parameter %d: the first joint parameter cannot have a bounds callback",
                              (int)prior->joint[0]);
    }
    return BML_MCMC_OK;
}

/* Tabulates M, and finds the mass of the joint region. */
static int bml_mcmc__tabulate_joint(bml_mcmc_prior *prior) {
    double theta[BML_MCMC__MAX_PRIOR];
    double lo;
    double hi;
    if (!prior->n_joint) {
        return BML_MCMC_OK;
    }
    memset(theta, 0, sizeof theta);
    bml_mcmc__limits(prior, prior->joint[0], theta, &lo, &hi);
    double mass = bml_mcmc__fill_follow(prior, 0, theta, 0, lo, hi);
    if (!(mass > 0)) {
        return bml_mcmc__fail(prior->message, BML_MCMC_EMPTY_BOUNDS, "the bounds leave no room anywhere");
    }
    prior->log_z = log(mass);
    return BML_MCMC_OK;
}

/* The arrays of *p from one block; returns the doubles they need. */
static ptrdiff_t bml_mcmc__prior_layout(bml_mcmc_prior *p, double *base, double **tables) {
    ptrdiff_t used = bml_mcmc__room(1, sizeof *p);
    ptrdiff_t rows = 1;
    p->param = (bml_mcmc_prior_param *)bml_mcmc__take(base, &used, bml_mcmc__room(p->n_dim, sizeof *p->param));
    p->cumulative = (double **)bml_mcmc__take(base, &used, bml_mcmc__room(p->n_dim, sizeof *p->cumulative));
    for (ptrdiff_t k = 0; k < p->n_joint; k++) {
        rows *= BML_MCMC__NODES;
        p->follow[k] = bml_mcmc__take(base, &used, rows);
    }
    *tables = bml_mcmc__take(base, &used, 0);
    return used;
}

static int bml_mcmc__prior_fill(bml_mcmc_prior *p, double *tables) {
    for (ptrdiff_t i = 0; i < p->n_dim; i++) {
        if (p->param[i].kind != BML_MCMC_TABLE) {
            continue;
        }
        ptrdiff_t n = p->param[i].n;
        int status = bml_mcmc__table_normalise(p, i, tables);
        if (status) return status;
        tables += 3 * n;
    }
    return bml_mcmc__tabulate_joint(p);
}

/* *draft, whose params are checked, becomes an object. */
static int bml_mcmc__prior_build(bml_mcmc_prior **out, bml_mcmc_prior *draft) {
    const bml_mcmc_prior_param *param = draft->param;
    double *tables;
    ptrdiff_t n_tables = 0;
    for (ptrdiff_t i = 0; i < draft->n_dim; i++)
        if (param[i].kind == BML_MCMC_TABLE) {
            n_tables += 3 * (ptrdiff_t)param[i].n;
        }
    bml_mcmc_prior sized = *draft;
    double *block = bml_mcmc__doubles(bml_mcmc__prior_layout(&sized, NULL, &tables) + n_tables, 1);
    if (!block) {
        return BML_MCMC_NO_MEMORY;
    }
    bml_mcmc_prior *p = (bml_mcmc_prior *)block;
    *p = *draft;
    bml_mcmc__prior_layout(p, block, &tables);
    for (ptrdiff_t i = 0; i < p->n_dim; i++)
        p->param[i] = param[i];
    int status = bml_mcmc__prior_fill(p, tables);
    if (!status) {
        *out = p;
    }
    if (!status) {
        return BML_MCMC_OK;
    }
    memcpy(draft->message, p->message, sizeof draft->message);
    BML_MCMC_FREE(block);
    return status;
}

BML_MCMC_DEF int(bml_mcmc_prior_create)(bml_mcmc_prior **prior, const bml_mcmc_prior_param *params, int n_dim,
                                        char *why) {
    bml_mcmc_prior draft;
    memset(&draft, 0, sizeof draft);
    if (why) {
        why[0] = 0;
    }
    if (!prior) {
        return bml_mcmc__say(why, BML_MCMC_BAD_ARGUMENT, "there is no place for the prior");
    }
    *prior = NULL;
    if (!params) {
        return bml_mcmc__say(why, BML_MCMC_BAD_ARGUMENT, "params is missing");
    }
    if (n_dim < 1 || n_dim > BML_MCMC__MAX_PRIOR) {
        bml_mcmc__fail(draft.message, 0, "n_dim = %d: must be in [1, %d]", n_dim, (int)BML_MCMC__MAX_PRIOR);
        return bml_mcmc__say(why, BML_MCMC_BAD_ARGUMENT, draft.message);
    }
    draft.n_dim = n_dim;
    draft.param = (bml_mcmc_prior_param *)bml_mcmc__doubles(bml_mcmc__room(n_dim, sizeof *params), 1);
    if (!draft.param) {
        return bml_mcmc__say(why, BML_MCMC_NO_MEMORY, NULL);
    }
    int status = BML_MCMC_OK;
    for (ptrdiff_t i = 0; i < n_dim; i++)
        draft.param[i] = params[i];
    for (ptrdiff_t i = 0; i < n_dim && !status; i++)
        status = bml_mcmc__param_check(&draft, i);
    if (!status) {
        status = bml_mcmc__find_joint(&draft);
    }
    if (!status) {
        status = bml_mcmc__prior_build(prior, &draft);
    }
    BML_MCMC_FREE(draft.param);
    return status ? bml_mcmc__say(why, status, draft.message) : status;
}

BML_MCMC_DEF void bml_mcmc_prior_free(bml_mcmc_prior *prior) {
    BML_MCMC_FREE(prior);
}

BML_MCMC_DEF double bml_mcmc_prior_log_density(const bml_mcmc_prior *prior, const double *theta) {
    if (!prior || !theta) {
        return BML_MCMC__NAN;
    }
    ptrdiff_t first_joint = prior->n_joint ? prior->joint[0] : prior->n_dim;
    double sum = prior->n_joint ? -prior->log_z : 0;
    double lo;
    double hi;
    for (ptrdiff_t i = 0; i < prior->n_dim; i++) {
        int room = bml_mcmc__limits(prior, i, theta, &lo, &hi);
        if (!room || !(theta[i] >= lo && theta[i] <= hi)) {
            return -BML_MCMC__INF;
        }
        sum += bml_mcmc__base_log_density(prior, i, theta[i]);
        if (i < first_joint && prior->param[i].bounds) {
            sum -= log(bml_mcmc__base_mass(prior, i, lo, hi));
        }
    }
    return sum;
}

BML_MCMC_DEF int bml_mcmc_prior_transform(const bml_mcmc_prior *prior, double *theta, const double *cube) {
    double row[BML_MCMC__NODES];
    double v[BML_MCMC__MAX_JOINT];
    ptrdiff_t k = 0;
    double lo;
    double hi;
    if (!prior || !theta || !cube) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    for (ptrdiff_t i = 0; i < prior->n_dim; i++) {
        double u = cube[i];
        if (!(u >= 0 && u <= 1)) {
            return BML_MCMC_BAD_ARGUMENT;
        }
        if (!bml_mcmc__limits(prior, i, theta, &lo, &hi)) {
            return BML_MCMC_EMPTY_BOUNDS;
        }
        if (prior->param[i].joint) {
            bml_mcmc__follow_row(row, prior, k, v);
            u = bml_mcmc__weigh_fraction(row, u);
            if (u < 0) {
                return BML_MCMC_EMPTY_BOUNDS;
            }
            v[k++] = u;
        }
        theta[i] = bml_mcmc__base_x(prior, i, lo, hi, u);
    }
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_prior_inverse(const bml_mcmc_prior *prior, double *cube, const double *theta) {
    double row[BML_MCMC__NODES];
    double v[BML_MCMC__MAX_JOINT];
    ptrdiff_t k = 0;
    double lo;
    double hi;
    if (!prior || !theta || !cube) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    for (ptrdiff_t i = 0; i < prior->n_dim; i++) {
        int room = bml_mcmc__limits(prior, i, theta, &lo, &hi);
        if (!room || !(theta[i] >= lo && theta[i] <= hi)) {
            return BML_MCMC_BAD_ARGUMENT;
        }
        cube[i] = bml_mcmc__base_u(prior, i, lo, hi, theta[i]);
        if (!prior->param[i].joint) {
            continue;
        }
        v[k] = cube[i];
        bml_mcmc__follow_row(row, prior, k, v);
        cube[i] = bml_mcmc__unweigh_fraction(row, cube[i]);
        if (cube[i] < 0) {
            return BML_MCMC_BAD_ARGUMENT;
        }
        k++;
    }
    return BML_MCMC_OK;
}

BML_MCMC_DEF void bml_mcmc_prior_limits(double *lower, double *upper, const bml_mcmc_prior *prior) {
    for (ptrdiff_t k = 0; prior && k < prior->n_dim; k++) {
        lower[k] = prior->param[k].lower;
        upper[k] = prior->param[k].upper;
    }
}

/* >> moves
   A move is a row of bml_mcmc__moves. `fit`, if there is one, runs once per half-step and sees the complementary half
   alone; `propose` draws y from x and the complementary half, and returns h, the log of the Hastings factor. */

enum { BML_MCMC__MAX_COMPONENTS = BML_MCMC_MAX_COUNT + 1 };

typedef struct bml_mcmc__half {
    const double *other; /* [n][d] the complementary half */
    ptrdiff_t n;
    ptrdiff_t d;
    bml_mcmc_move move; /* with its defaults resolved */
    /* What fit leaves for propose: z = A (theta - mean), theta = mean + L z, in which the half has unit covariance. */
    double *mean;   /* [d] */
    double *L;      /* [d][d] */
    double *A;      /* [d][d] */
    double log_det; /* of L */
    double *z;      /* [n][d] the complementary half */
    ptrdiff_t n_components;
    int em_steps;
    double *weight;         /* [n_components] */
    double *log_norm;       /* [n_components] log(weight/det L) */
    double *mu;             /* [n_components][d] */
    double *CL;             /* [n_components][d][d] Cholesky factor of a component */
    double *CA;             /* [n_components][d][d] its inverse */
    double *responsibility; /* [n][n_components] */
    double *scratch;        /* [3][d], for a fit [BML_MCMC__FIT_ROWS][d] */
} bml_mcmc__half;

static double bml_mcmc__stretch(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    ptrdiff_t d = half->d;
    const double *c = half->other + bml_mcmc__below(rng, half->n) * d;
    double a = half->move.scale;
    double root = 1 + (a - 1) * bml_mcmc_rng_uniform(rng);
    double z = root * root / a;
    for (ptrdiff_t i = 0; i < d; i++)
        y[i] = c[i] + z * (x[i] - c[i]);
    return (double)(d - 1) * log(z);
}

/* k different members of 0..n-1; k is small, or all of n. */
static void bml_mcmc__choose(ptrdiff_t *index, ptrdiff_t k, ptrdiff_t n, bml_mcmc_rng *rng) {
    for (ptrdiff_t i = 0; i < k; i++) {
        ptrdiff_t j;
        do {
            index[i] = bml_mcmc__below(rng, n);
            j = 0;
            while (j < i && index[j] != index[i])
                j++;
        } while (j < i);
    }
}

/* Y = X + scale/sqrt(s - 1) sum n_j (c_j - mean c), where sum n_j (c_j - mean c) = sum (n_j - mean n) c_j. */
static double bml_mcmc__walk(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    ptrdiff_t index[BML_MCMC_MAX_COUNT];
    double normal[BML_MCMC_MAX_COUNT];
    ptrdiff_t s = half->move.count;
    ptrdiff_t d = half->d;
    double norm = half->move.scale / sqrt((double)s - 1.0);
    double mean = 0;
    bml_mcmc__choose(index, s, half->n, rng);
    for (ptrdiff_t j = 0; j < s; j++) {
        normal[j] = bml_mcmc_rng_normal(rng);
        mean += normal[j] / (double)s;
    }
    for (ptrdiff_t i = 0; i < d; i++) {
        double step = 0;
        for (ptrdiff_t j = 0; j < s; j++)
            step += (normal[j] - mean) * half->other[index[j] * d + i];
        y[i] = x[i] + norm * step;
    }
    return 0;
}

/* Two different members of the complementary half. */
static void bml_mcmc__pair(const double **c1, const double **c2, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    ptrdiff_t first = bml_mcmc__below(rng, half->n);
    ptrdiff_t second = bml_mcmc__below(rng, half->n - 1);
    if (second >= first) {
        second++;
    }
    *c1 = half->other + first * half->d;
    *c2 = half->other + second * half->d;
}

static double bml_mcmc__de(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    const double *c1;
    const double *c2;
    bml_mcmc__pair(&c1, &c2, half, rng);
    double u = bml_mcmc_rng_uniform(rng); /* its first tenth says jump, the rest spreads g */
    double g = u < 0.1 ? 1 : half->move.scale * (0.9 + 0.2 * (u - 0.1) / 0.9);
    for (ptrdiff_t i = 0; i < half->d; i++)
        y[i] = x[i] + g * (c1[i] - c2[i]);
    return 0;
}

/* e (e . v) = (x - c) ((x - c) . v)/|x - c|^2: e has length one. */
static double bml_mcmc__snooker(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    ptrdiff_t index[3];
    ptrdiff_t d = half->d;
    double x2 = 0;
    double y2 = 0;
    double along = 0;
    bml_mcmc__choose(index, 3, half->n, rng);
    const double *c = half->other + index[0] * d;
    const double *c1 = half->other + index[1] * d;
    const double *c2 = half->other + index[2] * d;
    for (ptrdiff_t i = 0; i < d; i++) {
        x2 += (x[i] - c[i]) * (x[i] - c[i]);
        along += (x[i] - c[i]) * (c1[i] - c2[i]);
    }
    double g = half->move.scale * along / x2;
    for (ptrdiff_t i = 0; i < d; i++) {
        y[i] = x[i] + g * (x[i] - c[i]);
        y2 += (y[i] - c[i]) * (y[i] - c[i]);
    }
    return 0.5 * (double)(d - 1) * log(y2 / x2);
}

/* >> moves from the ensemble's density
   Both work in coordinates z in which the complementary half has zero mean and unit covariance, so that parameters of
   any units and correlation are alike; the Jacobian cancels in q(X)/q(Y). When that covariance cannot be had (walkers
   on a line), fit returns 0 and this half-step makes stretch moves: a decision that the complementary half alone
   takes. */

static int bml_mcmc__whiten(bml_mcmc__half *half) {
    ptrdiff_t d = half->d;
    bml_mcmc__moments(half->mean, half->L, half->other, half->n, d);
    if (!bml_mcmc__cholesky(half->L, d, 1e-12)) {
        return 0;
    }
    half->log_det = bml_mcmc__invert_lower(half->A, half->L, d);
    for (ptrdiff_t s = 0; s < half->n; s++) {
        bml_mcmc__difference(half->scratch, half->other + s * d, half->mean, d);
        bml_mcmc__lower_times(half->z + s * d, half->A, half->scratch, d);
    }
    return 1;
}

/* z[d] of the point x[d]. Uses scratch row 0. */
static void bml_mcmc__to_z(double *z, const double *x, const bml_mcmc__half *half) {
    bml_mcmc__difference(half->scratch, x, half->mean, half->d);
    bml_mcmc__lower_times(z, half->A, half->scratch, half->d);
}

static void bml_mcmc__from_z(double *x, const double *z, const bml_mcmc__half *half) {
    bml_mcmc__lower_times(x, half->L, z, half->d);
    for (ptrdiff_t i = 0; i < half->d; i++)
        x[i] += half->mean[i];
}

/* log of sum_j exp(-|z - z_j|^2 / 2 b^2), up to a constant; sums relative to the nearest member. */
static double bml_mcmc__kde_log_q(const double *z, const bml_mcmc__half *half, double inv_b2) {
    double *r2 = half->responsibility;
    double nearest = DBL_MAX;
    double sum = 0;
    for (ptrdiff_t s = 0; s < half->n; s++) {
        r2[s] = bml_mcmc__distance2(z, half->z + s * half->d, half->d);
        if (r2[s] < nearest) {
            nearest = r2[s];
        }
    }
    for (ptrdiff_t s = 0; s < half->n; s++) {
        double t = 0.5 * inv_b2 * (r2[s] - nearest);
        if (t < 40) {
            sum += exp(-t);
        }
    }
    return log(sum) - 0.5 * inv_b2 * nearest;
}

static double bml_mcmc__kde(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    ptrdiff_t d = half->d;
    double b = half->move.scale * pow((double)half->n, -1.0 / (double)(d + 4)); /* Scott 1992, eq. 6.44 */
    double inv_b2 = 1 / (b * b);
    double *zx = half->scratch + d;
    double *zy = half->scratch + 2 * d;
    const double *c = half->z + bml_mcmc__below(rng, half->n) * d;
    for (ptrdiff_t i = 0; i < d; i++)
        zy[i] = c[i] + b * bml_mcmc_rng_normal(rng);
    bml_mcmc__to_z(zx, x, half);
    bml_mcmc__from_z(y, zy, half);
    return bml_mcmc__kde_log_q(zx, half, inv_b2) - bml_mcmc__kde_log_q(zy, half, inv_b2);
}

/* Mixture. K components start at members of the half chosen far apart (k-means++ seeding, Arthur & Vassilvitskii 2007)
   and go through a fixed number of EM steps. Covariances are regularised as by an inverse-Wishart prior (Fraley &
   Raftery 2007, J. Classif. 24, 155): (sum r (z-mu)(z-mu)^T + kappa I/K^(2/d)) / (sum r + kappa), with kappa = d/2
   pseudo-points. One more component, the half's own mean and covariance, keeps weight BML_MCMC__DEFENCE, so that q is
   nowhere too thin. Proposals and densities use t distributions of BML_MCMC__DOF degrees of freedom with the fitted
   centres and scatter matrices. */
#define BML_MCMC__DEFENCE 0.1
#define BML_MCMC__DOF 10                    /* even */
enum { BML_MCMC__EM_STEPS = 8 };            /* anew in each half-step */
enum { BML_MCMC__EM_STEPS_REFERENCE = 30 }; /* once */
enum { BML_MCMC__TILE = 16 };               /* points of an E step side by side */
enum { BML_MCMC__FIT_ROWS = 2 * BML_MCMC__TILE };

/* |CA_k (z - mu_k)|^2 */
static double bml_mcmc__component_distance2(const double *z, const bml_mcmc__half *half, ptrdiff_t k) {
    ptrdiff_t d = half->d;
    return bml_mcmc__mahalanobis2(half->CA + k * d * d, z, half->mu + k * d, half->scratch, d);
}

/* Component k becomes a ball, its centre set by the caller. */
static void bml_mcmc__ball_component(bml_mcmc__half *half, ptrdiff_t k, double weight, double variance) {
    ptrdiff_t d = half->d;
    double *L = half->CL + k * d * d;
    double *A = half->CA + k * d * d;
    bml_mcmc__clear(L, d * d);
    bml_mcmc__clear(A, d * d);
    for (ptrdiff_t i = 0; i < d; i++) {
        L[i * d + i] = sqrt(variance);
        A[i * d + i] = 1 / sqrt(variance);
    }
    half->weight[k] = weight;
    half->log_norm[k] = log(weight) - 0.5 * (double)d * log(variance);
}

/* Centres far apart: each next one with probability as its squared distance to the nearest so far. */
static void bml_mcmc__seed_components(bml_mcmc__half *half, ptrdiff_t K, bml_mcmc_rng *rng) {
    ptrdiff_t n = half->n;
    ptrdiff_t d = half->d;
    ptrdiff_t pick = bml_mcmc__below(rng, n);
    double *nearest = half->responsibility; /* [n], free until the first E step */
    bml_mcmc__fill(nearest, DBL_MAX, n);
    for (ptrdiff_t k = 0; k < K; k++) {
        double *mu = half->mu + k * d;
        double total = 0;
        bml_mcmc__copy(mu, half->z + pick * d, d);
        bml_mcmc__ball_component(half, k, 1.0 / (double)K, pow((double)K, -2.0 / (double)d));
        for (ptrdiff_t s = 0; s < n; s++) {
            double r2 = bml_mcmc__distance2(half->z + s * d, mu, d);
            if (r2 < nearest[s]) {
                nearest[s] = r2;
            }
            total += nearest[s];
        }
        double u = total * bml_mcmc_rng_uniform(rng);
        for (pick = 0; pick < n - 1; pick++) {
            u -= nearest[pick];
            if (!(u > 0)) {
                break;
            }
        }
    }
}

/* r2[t] of component k for the points of tile[d][TILE]: bml_mcmc__component_distance2's sums, in its order. */
static void bml_mcmc__tile_distance2(double *r2, const double *tile, const bml_mcmc__half *half, ptrdiff_t k) {
    enum { T = BML_MCMC__TILE };
    ptrdiff_t d = half->d;
    const double *A = half->CA + k * d * d;
    const double *mu = half->mu + k * d;
    double *v = half->scratch + T * d; /* [d][T] */
    for (ptrdiff_t j = 0; j < d; j++)
        for (int t = 0; t < T; t++)
            v[j * T + t] = tile[j * T + t] - mu[j];
    bml_mcmc__clear(r2, T);
    for (ptrdiff_t i = 0; i < d; i++) {
        double sum[T] = {0};
        for (ptrdiff_t j = 0; j <= i; j++) {
            BML_MCMC__ROLLED
            for (int t = 0; t < T; t++)
                sum[t] += A[i * d + j] * v[j * T + t];
        }
        for (int t = 0; t < T; t++)
            r2[t] += sum[t] * sum[t];
    }
}

static void bml_mcmc__e_step(bml_mcmc__half *half, ptrdiff_t K) {
    enum { T = BML_MCMC__TILE };
    ptrdiff_t d = half->d;
    double *tile = half->scratch; /* [d][T] */
    double r2[T];
    bml_mcmc__clear(tile, T * d);
    for (ptrdiff_t from = 0; from < half->n; from += T) {
        const ptrdiff_t points = bml_mcmc__clamp_int(half->n - from, 0, T);
        double *r = half->responsibility + from * K;
        for (ptrdiff_t t = 0; t < points; t++)
            for (ptrdiff_t i = 0; i < d; i++)
                tile[i * T + t] = half->z[(from + t) * d + i];
        for (ptrdiff_t k = 0; k < K; k++) {
            bml_mcmc__tile_distance2(r2, tile, half, k);
            for (ptrdiff_t t = 0; t < points; t++)
                r[t * K + k] = half->log_norm[k] - 0.5 * r2[t];
        }
        for (ptrdiff_t t = 0; t < points; t++)
            bml_mcmc__softmax(r + t * K, K);
    }
}

/* Component k from its responsibilities; 0 when its covariance cannot be factored. */
static int bml_mcmc__m_step(bml_mcmc__half *half, ptrdiff_t K, ptrdiff_t k) {
    ptrdiff_t n = half->n;
    ptrdiff_t d = half->d;
    double *mu = half->mu + k * d;
    double *S = half->CL + k * d * d;
    double kappa = 0.5 * (double)d;
    double total = 0;
    bml_mcmc__clear(mu, d);
    bml_mcmc__clear(S, d * d);
    for (ptrdiff_t s = 0; s < n; s++) {
        double r = half->responsibility[s * K + k];
        total += r;
        for (ptrdiff_t i = 0; i < d; i++)
            mu[i] += r * half->z[s * d + i];
    }
    for (ptrdiff_t i = 0; i < d; i++)
        mu[i] /= total + DBL_MIN;
    for (ptrdiff_t s = 0; s < n; s++) {
        double r = half->responsibility[s * K + k];
        if (r < 1e-12) {
            continue;
        }
        bml_mcmc__difference(half->scratch, half->z + s * d, mu, d);
        bml_mcmc__add_outer(S, r, half->scratch, d);
    }
    for (ptrdiff_t i = 0; i < d * d; i++)
        S[i] /= total + kappa;
    double shrunk = kappa * pow((double)K, -2.0 / (double)d) / (total + kappa);
    for (ptrdiff_t i = 0; i < d; i++)
        S[i * d + i] += shrunk;
    half->weight[k] = (total + 1) / (double)(n + K); /* never zero */
    if (!bml_mcmc__cholesky(S, d, 1e-12)) {
        return 0;
    }
    half->log_norm[k] = log(half->weight[k]) - bml_mcmc__invert_lower(half->CA + k * d * d, S, d);
    return 1;
}

static int bml_mcmc__fit_kde(bml_mcmc__half *half, bml_mcmc_rng *rng) {
    (void)rng;
    return bml_mcmc__whiten(half);
}

static int bml_mcmc__fit_mixture(bml_mcmc__half *half, bml_mcmc_rng *rng) {
    ptrdiff_t K = half->move.count;
    ptrdiff_t d = half->d;
    if (!bml_mcmc__whiten(half)) {
        return 0;
    }
    bml_mcmc__seed_components(half, K, rng);
    for (int iteration = 0; iteration < half->em_steps; iteration++) {
        bml_mcmc__e_step(half, K);
        for (ptrdiff_t k = 0; k < K; k++)
            if (!bml_mcmc__m_step(half, K, k)) {
                return 0;
            }
    }
    for (ptrdiff_t k = 0; k < K; k++) {
        half->weight[k] *= 1 - BML_MCMC__DEFENCE;
        half->log_norm[k] += log(1 - BML_MCMC__DEFENCE);
    }
    bml_mcmc__clear(half->mu + K * d, d);
    bml_mcmc__ball_component(half, K, BML_MCMC__DEFENCE, 1);
    half->n_components = K + 1;
    return 1;
}

/* log q up to a constant: sum of t densities of BML_MCMC__DOF degrees of freedom. */
static double bml_mcmc__mixture_log_q(const double *z, const bml_mcmc__half *half) {
    double a[BML_MCMC__MAX_COMPONENTS];
    double s2 = half->move.scale * half->move.scale;
    double exponent = 0.5 * (double)(BML_MCMC__DOF + half->d);
    for (ptrdiff_t k = 0; k < half->n_components; k++) {
        double r2 = bml_mcmc__component_distance2(z, half, k);
        a[k] = half->log_norm[k] - exponent * log(1 + r2 / (BML_MCMC__DOF * s2));
    }
    return bml_mcmc__softmax(a, half->n_components);
}

/* A draw from the mixture, in z. */
static void bml_mcmc__mixture_draw(double *z, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    ptrdiff_t d = half->d;
    double *v = half->scratch;
    double u = bml_mcmc_rng_uniform(rng);
    double product = 1;
    ptrdiff_t k;
    for (k = 0; k < half->n_components - 1; k++) {
        u -= half->weight[k];
        if (!(u > 0)) {
            break;
        }
    }
    for (int i = 0; i < BML_MCMC__DOF / 2; i++)
        product *= bml_mcmc_rng_uniform(rng);
    double chi2 = -2 * log(product); /* an even number of degrees of freedom is a sum of exponentials */
    double t = half->move.scale * sqrt(BML_MCMC__DOF / chi2);
    for (ptrdiff_t i = 0; i < d; i++)
        v[i] = t * bml_mcmc_rng_normal(rng);
    bml_mcmc__lower_times(z, half->CL + k * d * d, v, d);
    for (ptrdiff_t i = 0; i < d; i++)
        z[i] += half->mu[k * d + i];
}

static double bml_mcmc__mixture(double *y, const double *x, const bml_mcmc__half *half, bml_mcmc_rng *rng) {
    double *zx = half->scratch + half->d;
    double *zy = half->scratch + 2 * half->d;
    bml_mcmc__mixture_draw(zy, half, rng);
    bml_mcmc__to_z(zx, x, half);
    bml_mcmc__from_z(y, zy, half);
    return bml_mcmc__mixture_log_q(zx, half) - bml_mcmc__mixture_log_q(zy, half);
}

/* The arrays of a fit of h->n points in h->d dimensions. */
static void bml_mcmc__density_layout(bml_mcmc__half *h, double *base, ptrdiff_t *used) {
    ptrdiff_t n = h->n;
    ptrdiff_t d = h->d;
    ptrdiff_t K = BML_MCMC__MAX_COMPONENTS;
    h->mean = bml_mcmc__take(base, used, d);
    h->L = bml_mcmc__take(base, used, d * d);
    h->A = bml_mcmc__take(base, used, d * d);
    h->z = bml_mcmc__take(base, used, n * d);
    h->weight = bml_mcmc__take(base, used, K);
    h->log_norm = bml_mcmc__take(base, used, K);
    h->mu = bml_mcmc__take(base, used, K * d);
    h->CL = bml_mcmc__take(base, used, K * d * d);
    h->CA = bml_mcmc__take(base, used, K * d * d);
    h->responsibility = bml_mcmc__take(base, used, n * K);
    h->scratch = bml_mcmc__take(base, used, BML_MCMC__FIT_ROWS * d);
}

/* The table of moves: a new move is a new row. need_0 + need_d n_dim: members of a half it cannot do without. */
typedef struct bml_mcmc__move_row {
    const char *name;
    double scale; /* default; 0 is DE's, which depends on the dimension */
    int count;    /* default, 0 where it has none; -1: from the sizes */
    int need_0;
    int need_d;
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
    {"surrogate", 0.4, 100, 2, 0, NULL, NULL}, /* by bml_mcmc__ensemble_propose_surrogate */
};

/* >> ensemble: create and free */

struct bml_mcmc_ensemble {
    bml_mcmc_config config; /* defaults resolved */
    int started;
    int forgive; /* the last run stopped at NaN or +infinity: the next step takes it for -infinity */
    bml_mcmc_move moves[BML_MCMC_MAX_MOVES];
    double cumulative[BML_MCMC_MAX_MOVES]; /* weights summed and normalised */
    uint64_t step;
    uint64_t evaluations;
    uint64_t steps_counted;
    uint64_t nans;
    uint64_t moves_proposed[BML_MCMC_MAX_MOVES];
    uint64_t moves_accepted[BML_MCMC_MAX_MOVES];
    ptrdiff_t W;               /* n_walkers */
    ptrdiff_t d;               /* n_dim */
    ptrdiff_t K;               /* n_derived */
    uint64_t *accepted;        /* [W] */
    uint64_t *rescued;         /* [W] how often each was put beside others */
    double rescue_gap;         /* how far below them the first of these was */
    double *theta;             /* [W][d] */
    double *log_prob;          /* [W] */
    double *derived;           /* [W][K] */
    double *old_theta;         /* as they were before the step under way */
    double *old_log_prob;      /* [W] */
    double *old_derived;       /* [W][K] */
    int *order;                /* [W] first half: updated first */
    int *moved;                /* [W] in the step under way */
    double *other;             /* [W/2][d] */
    double *proposal;          /* [W][d] (half of it in a step, all in a start) */
    double *proposal_log_prob; /* [W] */
    double *proposal_derived;  /* [W][K] */
    double *hastings;          /* [W] */
    double *log_u;             /* [W] */
    double *inner;             /* [W/2][d + 3] surrogate moves only */
    bml_mcmc_rng *inner_rng;   /* [W/2] */
    bml_mcmc__half half;
    bml_mcmc__half reference; /* n = 0: none */
    ptrdiff_t stored;
    ptrdiff_t capacity;
    double *chain;          /* [capacity][W][d] */
    double *chain_log_prob; /* [capacity][W] */
    double *chain_derived;  /* [capacity][W][K] */
    char message[BML_MCMC_MESSAGE];
};

enum { BML_MCMC__MIXTURE_DIMS = 20 }; /* beyond them a mixture is seldom accepted, and dear */
static const bml_mcmc_move bml_mcmc__mixture_moves[2] = {{BML_MCMC_MIXTURE, 4, 0, 0}, {BML_MCMC_DE, 1, 0, 0}};
static const bml_mcmc_move bml_mcmc__local_moves[2] = {{BML_MCMC_STRETCH, 1, 0, 0}, {BML_MCMC_DE, 3, 0, 0}};

/* The components of a mixture where none are asked for: some 25 reference points, 3/2 members of a half for each
   dimension of each. */
static int bml_mcmc__default_components(const bml_mcmc_config *c) {
    int d = c->n_dim;
    if (c->reference) {
        return (int)bml_mcmc__clamp_int(c->n_reference / (25 * d), 1, BML_MCMC_MAX_COUNT);
    }
    return (int)bml_mcmc__clamp_int(c->n_walkers / (3 * d), 1, 8);
}

static int bml_mcmc__ensemble_surrogate_check(bml_mcmc_ensemble *e, const bml_mcmc_move *m) {
    if (!e->config.surrogate) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "move surrogate: config.surrogate is missing");
    }
    if (m->scale > 1) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "move surrogate: scale = %g: must be in [0, 1]",
                              m->scale);
    }
    if (m->count < 1 || m->count > 1000000) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "move surrogate: count = %d: must be in [1, 1000000]",
                              m->count);
    }
    if (e->config.n_walkers < 4) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "move surrogate needs at least 4 walkers, not %d",
                              e->config.n_walkers);
    }
    return BML_MCMC_OK;
}

/* Are the walkers enough for the move? */
static int bml_mcmc__ensemble_move_room(bml_mcmc_ensemble *e, const bml_mcmc_move *m) {
    const bml_mcmc__move_row *row = &bml_mcmc__moves[m->kind];
    int need = row->need_0 + row->need_d * e->config.n_dim;
    if (m->kind == BML_MCMC_MIXTURE && e->config.reference) {
        return BML_MCMC_OK;
    }
    if (row->count && m->count > need) {
        need = m->count;
    }
    if (e->config.n_walkers / 2 >= need) {
        return BML_MCMC_OK;
    }
    return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "move %s: n_walkers = %d: at least %d are needed",
                          row->name, e->config.n_walkers, 2 * need);
}

/* Fills in the defaults of one move and checks it. */
static int bml_mcmc__ensemble_resolve_move(bml_mcmc_ensemble *e, bml_mcmc_move *m) {
    if (m->kind < 0 || m->kind >= BML_MCMC_N_MOVES) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "move kind = %d: must be in [0, %d]", m->kind,
                              BML_MCMC_N_MOVES - 1);
    }
    const bml_mcmc__move_row *row = &bml_mcmc__moves[m->kind];
    if (m->weight == 0) {
        m->weight = 1;
    }
    if (m->scale == 0) {
        m->scale = m->kind == BML_MCMC_DE ? 2.38 / sqrt(2.0 * e->config.n_dim) : row->scale;
    }
    if (m->count == 0) {
        m->count = row->count < 0 ? bml_mcmc__default_components(&e->config) : row->count;
    }
    if (!(m->weight > 0 && m->weight <= DBL_MAX)) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "move %s: weight = %g: must be positive and finite",
                              row->name, m->weight);
    }
    double least = m->kind == BML_MCMC_STRETCH ? 1 : 0;
    if (!(m->scale > least && m->scale <= DBL_MAX)) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "move %s: scale = %g: must be finite and above %g",
                              row->name, m->scale, least);
    }
    if (m->kind == BML_MCMC_SURROGATE) {
        return bml_mcmc__ensemble_surrogate_check(e, m);
    }
    int fewest = m->kind == BML_MCMC_WALK ? 2 : 1;
    if (row->count && (m->count < fewest || m->count > BML_MCMC_MAX_COUNT)) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "move %s: count = %d: must be in [%d, %d]", row->name,
                              m->count, fewest, (int)BML_MCMC_MAX_COUNT);
    }
    return bml_mcmc__ensemble_move_room(e, m);
}

static int bml_mcmc__ensemble_resolve_moves(bml_mcmc_ensemble *e) {
    bml_mcmc_config *c = &e->config;
    double total = 0;
    double sum = 0;
    if (!c->moves && c->n_moves == 0) {
        int mixture = c->n_dim <= BML_MCMC__MIXTURE_DIMS && c->n_walkers / 2 >= c->n_dim + 2;
        c->moves = mixture ? bml_mcmc__mixture_moves : bml_mcmc__local_moves;
        c->n_moves = 2;
    }
    if (!c->moves || c->n_moves < 1 || c->n_moves > BML_MCMC_MAX_MOVES) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "n_moves = %d: must be in [1, %d], with moves",
                              c->n_moves, (int)BML_MCMC_MAX_MOVES);
    }
    for (int i = 0; i < c->n_moves; i++) {
        e->moves[i] = c->moves[i];
        int status = bml_mcmc__ensemble_resolve_move(e, &e->moves[i]);
        if (status) return status;
        total += e->moves[i].weight;
    }
    for (int i = 0; i < c->n_moves; i++) {
        sum += e->moves[i].weight;
        e->cumulative[i] = sum / total;
    }
    return BML_MCMC_OK;
}

static int bml_mcmc__ensemble_reference_check(bml_mcmc_ensemble *e) {
    const bml_mcmc_config *c = &e->config;
    ptrdiff_t d = c->n_dim;
    if (!c->reference && !c->n_reference) {
        return BML_MCMC_OK;
    }
    if (!c->reference || c->n_reference < 50 * d) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT,
                              "n_reference = %d: at least %d points are needed for %d dimensions", c->n_reference,
                              (int)(50 * d), (int)d);
    }
    if ((double)c->n_reference * c->n_dim > 5e8) {
        return bml_mcmc__fail(e->message, BML_MCMC_TOO_LARGE, "n_reference = %d points of %d dimensions",
                              c->n_reference, (int)d);
    }
    for (ptrdiff_t i = 0; i < c->n_reference; i++)
        if (!bml_mcmc__all_finite(c->reference + i * d, d)) {
            return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "reference point %d is not finite", (int)i);
        }
    return BML_MCMC_OK;
}

static const bml_mcmc__rule bml_mcmc__ensemble_rules[4] = {
    {"n_dim", offsetof(bml_mcmc_config, n_dim), BML_MCMC__INT, 1, 10000, 0},
    {"thin", offsetof(bml_mcmc_config, thin), BML_MCMC__INT, 1, 1e9, 1},
    {"n_derived", offsetof(bml_mcmc_config, n_derived), BML_MCMC__INT, 0, 10000, 0},
    {"nan_policy", offsetof(bml_mcmc_config, nan_policy), BML_MCMC__INT, 0, 1, 0},
};

static int bml_mcmc__ensemble_resolve_config(bml_mcmc_ensemble *e) {
    bml_mcmc_config *c = &e->config;
    if (!c->log_prob == !c->log_prob_derived) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "%s",
                              c->log_prob ? "log_prob and log_prob_derived are both given" : "log_prob is missing");
    }
    int status = bml_mcmc__apply_rules(c, bml_mcmc__ensemble_rules, 4, e->message);
    if (status) return status;
    if (!c->log_prob_derived != !c->n_derived) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT,
                              "n_derived = %d: at least 1 with log_prob_derived, else 0", c->n_derived);
    }
    if (c->n_walkers == 0) {
        c->n_walkers = 6 * c->n_dim < 32 ? 32 : 6 * c->n_dim;
    }
    if ((double)(c->n_dim + c->n_derived) * c->n_walkers > 5e8) {
        return bml_mcmc__fail(e->message, BML_MCMC_TOO_LARGE, "n_walkers = %d walkers of %d dimensions", c->n_walkers,
                              c->n_dim);
    }
    if (c->n_walkers < 2 * c->n_dim || c->n_walkers % 2) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT,
                              "n_walkers = %d: must be even and at least %d for %d dimensions", c->n_walkers,
                              2 * c->n_dim, c->n_dim);
    }
    if (c->prior && c->prior->n_dim != c->n_dim) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "the prior has %d dimensions, the sampler %d",
                              (int)c->prior->n_dim, c->n_dim);
    }
    status = bml_mcmc__ensemble_reference_check(e);
    return status ? status : bml_mcmc__ensemble_resolve_moves(e);
}

/* Fits the mixture to the reference points. */
static int bml_mcmc__ensemble_fit_reference(bml_mcmc_ensemble *e) {
    bml_mcmc__half *r = &e->reference;
    bml_mcmc_rng rng = bml_mcmc__numbered_stream(e->config.seed, BML_MCMC__SHARED, 0);
    bml_mcmc_move fallback = {BML_MCMC_MIXTURE, 1, 1, bml_mcmc__default_components(&e->config)};
    r->other = e->config.reference;
    r->em_steps = BML_MCMC__EM_STEPS_REFERENCE;
    r->move = fallback;
    for (int i = 0; i < e->config.n_moves; i++)
        if (e->moves[i].kind == BML_MCMC_MIXTURE) {
            r->move = e->moves[i];
        }
    if (!bml_mcmc__fit_mixture(r, &rng)) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "the reference points span less than the space");
    }
    r->other = NULL; /* the caller may let go of them */
    return BML_MCMC_OK;
}

/* The arrays of *e from one block (NULL: only counts); returns the doubles they need. */
static ptrdiff_t bml_mcmc__ensemble_layout(bml_mcmc_ensemble *e, double *base) {
    ptrdiff_t W = e->W;
    ptrdiff_t d = e->d;
    ptrdiff_t K = e->K;
    ptrdiff_t H = W / 2;
    ptrdiff_t used = bml_mcmc__room(1, sizeof *e);
    int density = 0; /* is there a move that needs fit's arrays? */
    for (int i = 0; i < e->config.n_moves; i++)
        density |= bml_mcmc__moves[e->moves[i].kind].fit != NULL;
    e->accepted = (uint64_t *)bml_mcmc__take(base, &used, bml_mcmc__room(W, sizeof *e->accepted));
    e->rescued = (uint64_t *)bml_mcmc__take(base, &used, bml_mcmc__room(W, sizeof *e->rescued));
    e->order = (int *)bml_mcmc__take(base, &used, bml_mcmc__room(W, sizeof *e->order));
    e->moved = (int *)bml_mcmc__take(base, &used, bml_mcmc__room(W, sizeof *e->moved));
    e->theta = bml_mcmc__take(base, &used, W * d);
    e->log_prob = bml_mcmc__take(base, &used, W);
    e->derived = bml_mcmc__take(base, &used, W * K);
    e->old_theta = bml_mcmc__take(base, &used, W * d);
    e->old_log_prob = bml_mcmc__take(base, &used, W);
    e->old_derived = bml_mcmc__take(base, &used, W * K);
    e->other = bml_mcmc__take(base, &used, H * d);
    e->proposal = bml_mcmc__take(base, &used, W * d);
    e->proposal_log_prob = bml_mcmc__take(base, &used, W);
    e->proposal_derived = bml_mcmc__take(base, &used, W * K);
    e->hastings = bml_mcmc__take(base, &used, W);
    e->log_u = bml_mcmc__take(base, &used, W);
    if (e->config.surrogate) {
        e->inner = bml_mcmc__take(base, &used, H * (d + 3));
        e->inner_rng = (bml_mcmc_rng *)bml_mcmc__take(base, &used, bml_mcmc__room(H, sizeof *e->inner_rng));
    }
    e->half.n = H;
    e->half.d = d;
    e->half.em_steps = BML_MCMC__EM_STEPS;
    e->half.other = e->other;
    if (density) {
        bml_mcmc__density_layout(&e->half, base, &used);
    }
    e->reference.n = e->config.n_reference;
    e->reference.d = d;
    if (e->config.reference) {
        bml_mcmc__density_layout(&e->reference, base, &used);
    }
    return used;
}

static int bml_mcmc__ensemble_build(bml_mcmc_ensemble **out, bml_mcmc_ensemble *draft) {
    double *block = bml_mcmc__doubles(bml_mcmc__ensemble_layout(draft, NULL), 1);
    if (!block) {
        return BML_MCMC_NO_MEMORY;
    }
    bml_mcmc_ensemble *e = (bml_mcmc_ensemble *)block;
    *e = *draft;
    bml_mcmc__ensemble_layout(e, block);
    e->config.moves = e->moves;
    int status = e->config.reference ? bml_mcmc__ensemble_fit_reference(e) : BML_MCMC_OK;
    e->config.reference = NULL;
    *out = e;
    if (!status) {
        return status;
    }
    memcpy(draft->message, e->message, sizeof draft->message);
    BML_MCMC_FREE(block);
    *out = NULL;
    return status;
}

BML_MCMC_DEF int(bml_mcmc_ensemble_create)(bml_mcmc_ensemble **e, const bml_mcmc_config *config, char *why) {
    bml_mcmc_ensemble draft;
    if (why) {
        why[0] = 0;
    }
    if (!e) {
        return bml_mcmc__say(why, BML_MCMC_BAD_ARGUMENT, "there is no place for the sampler");
    }
    *e = NULL;
    if (!config) {
        return bml_mcmc__say(why, BML_MCMC_BAD_ARGUMENT, "config is missing");
    }
    memset(&draft, 0, sizeof draft);
    draft.config = *config;
    int status = bml_mcmc__ensemble_resolve_config(&draft);
    draft.W = draft.config.n_walkers;
    draft.d = draft.config.n_dim;
    draft.K = draft.config.n_derived;
    if (!status) {
        status = bml_mcmc__ensemble_build(e, &draft);
    }
    return status ? bml_mcmc__say(why, status, draft.message) : status;
}

BML_MCMC_DEF void bml_mcmc_ensemble_free(bml_mcmc_ensemble *e) {
    if (!e) {
        return;
    }
    BML_MCMC_FREE(e->chain);
    BML_MCMC_FREE(e->chain_log_prob);
    BML_MCMC_FREE(e->chain_derived);
    BML_MCMC_FREE(e);
}

BML_MCMC_DEF const char *bml_mcmc_ensemble_message(const bml_mcmc_ensemble *e) {
    return e ? e->message : "";
}

BML_MCMC_DEF const char *bml_mcmc_move_name(int kind) {
    return kind >= 0 && kind < BML_MCMC_N_MOVES ? bml_mcmc__moves[kind].name : "?";
}

/* >> ensemble: start */

enum { BML_MCMC__REDRAWS = 100 };

/* A log-probability that may not be: counted and taken for -infinity, or refused with the walker's name. */
static int bml_mcmc__ensemble_bad_answer(bml_mcmc_ensemble *e, double *log_prob, const double *theta, const char *whose,
                                         int walker) {
    int status = bml_mcmc__judge(*log_prob);
    int rejected = e->forgive || (status == BML_MCMC_NAN && e->config.nan_policy == BML_MCMC_NAN_REJECTED);
    if (rejected) {
        *log_prob = -BML_MCMC__INF;
        e->nans++;
        return BML_MCMC_OK;
    }
    bml_mcmc__fail(e->message, status, "%s %s for walker %d after step %llu:", whose,
                   status == BML_MCMC_NAN ? "NaN" : "+infinity", walker, (unsigned long long)e->step);
    bml_mcmc__append_point(e->message, theta, e->d);
    e->forgive = 1;
    return status;
}

/* Checks the answers for theta[n][d]. name[i] is the walker of row i. */
static int bml_mcmc__ensemble_check_answers(bml_mcmc_ensemble *e, double *log_prob, const double *theta, ptrdiff_t n,
                                            const int *name, const char *whose) {
    for (ptrdiff_t i = 0; i < n; i++) {
        if (bml_mcmc__judge(log_prob[i]) == BML_MCMC_OK) {
            continue;
        }
        int walker = name ? name[i] : (int)i;
        int status = bml_mcmc__ensemble_bad_answer(e, log_prob + i, theta + i * e->d, whose, walker);
        if (status) return status;
    }
    return BML_MCMC_OK;
}

/* The user's answers for theta[n][d], beginning as NaN: what a callback leaves out is found. */
static int bml_mcmc__ensemble_evaluate(bml_mcmc_ensemble *e, double *log_prob, double *derived, const double *theta,
                                       ptrdiff_t n, const int *name) {
    const bml_mcmc_config *c = &e->config;
    bml_mcmc__fill(log_prob, BML_MCMC__NAN, n);
    if (c->log_prob_derived) {
        c->log_prob_derived(log_prob, derived, theta, (int)n, c->n_dim, c->user);
    } else {
        c->log_prob(log_prob, theta, (int)n, c->n_dim, c->user);
    }
    return bml_mcmc__ensemble_check_answers(e, log_prob, theta, n, name, "log-probability");
}

static int bml_mcmc__ensemble_ask_surrogate(bml_mcmc_ensemble *e, double *log_prob, const double *theta, ptrdiff_t n,
                                            const int *name) {
    bml_mcmc__fill(log_prob, BML_MCMC__NAN, n);
    e->config.surrogate(log_prob, theta, (int)n, e->config.n_dim, e->config.user);
    return bml_mcmc__ensemble_check_answers(e, log_prob, theta, n, name, "surrogate");
}

/* cov[d][d], sd[d], mean[d] of the walkers: each spread must survive rounding, the correlations be regular. */
static int bml_mcmc__ensemble_span(bml_mcmc_ensemble *e, double *cov, double *sd, double *mean, const double *theta) {
    ptrdiff_t d = e->d;
    bml_mcmc__moments(mean, cov, theta, e->W, d);
    for (ptrdiff_t i = 0; i < d; i++) {
        sd[i] = sqrt(cov[i * d + i]);
        if (!(sd[i] > 1e-13 * fabs(mean[i]) && sd[i] < DBL_MAX)) {
            return bml_mcmc__fail(e->message, BML_MCMC_BAD_START, "parameter %d is %.10g in all walkers", (int)i,
                                  mean[i]);
        }
    }
    for (ptrdiff_t i = 0; i < d; i++) {
        for (ptrdiff_t j = 0; j < i; j++)
            cov[i * d + j] = cov[i * d + j] / sd[i] / sd[j];
        cov[i * d + i] = 1;
    }
    if (bml_mcmc__cholesky(cov, d, 1e-12)) {
        return BML_MCMC_OK;
    }
    return bml_mcmc__fail(e->message, BML_MCMC_BAD_START,
                          "the walkers lie in a plane: some parameter is given by the others");
}

static int bml_mcmc__ensemble_check_span(bml_mcmc_ensemble *e, const double *theta) {
    ptrdiff_t d = e->d;
    double *cov = bml_mcmc__doubles(d + 2, d);
    if (!cov) {
        return bml_mcmc__fail(e->message, BML_MCMC_NO_MEMORY, "start");
    }
    double *sd = cov + d * d;
    int status = bml_mcmc__ensemble_span(e, cov, sd, sd + d, theta);
    BML_MCMC_FREE(cov);
    return status;
}

static int bml_mcmc__ensemble_check_start(bml_mcmc_ensemble *e, const double *theta) {
    ptrdiff_t d = e->d;
    for (ptrdiff_t i = 0; i < e->W * d; i++)
        if (!bml_mcmc__is_finite(theta[i])) {
            return bml_mcmc__fail(e->message, BML_MCMC_BAD_START, "walker %d: parameter %d is not finite", (int)(i / d),
                                  (int)(i % d));
        }
    for (ptrdiff_t i = 0; i < e->W; i++)
        for (ptrdiff_t j = 0; j < i; j++)
            if (!memcmp(theta + i * d, theta + j * d, sizeof(double) * (size_t)d)) {
                return bml_mcmc__fail(e->message, BML_MCMC_BAD_START, "walkers %d and %d start at the same point",
                                      (int)j, (int)i);
            }
    return bml_mcmc__ensemble_check_span(e, theta);
}

/* The positions are in e->proposal, their log-probabilities beside them: take them. */
static int bml_mcmc__ensemble_begin(bml_mcmc_ensemble *e) {
    for (ptrdiff_t i = 0; i < e->W; i++) {
        if (e->proposal_log_prob[i] >= -DBL_MAX) {
            continue;
        }
        bml_mcmc__fail(e->message, BML_MCMC_BAD_START, "walker %d has log-probability -infinity at", (int)i);
        bml_mcmc__append_point(e->message, e->proposal + i * e->d, e->d);
        return BML_MCMC_BAD_START;
    }
    bml_mcmc__copy(e->theta, e->proposal, e->W * e->d);
    bml_mcmc__copy(e->log_prob, e->proposal_log_prob, e->W);
    bml_mcmc__copy(e->derived, e->proposal_derived, e->W * e->K);
    e->started = 1;
    e->message[0] = 0;
    return BML_MCMC_OK;
}

static int bml_mcmc__ensemble_reset(bml_mcmc_ensemble *e) {
    if (!e) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    e->started = 0;
    e->forgive = 0;
    e->step = 0;
    e->evaluations = 0;
    e->rescue_gap = 0;
    memset(e->rescued, 0, sizeof *e->rescued * (size_t)e->W);
    bml_mcmc_ensemble_clear(e);
    return BML_MCMC_OK;
}

typedef struct bml_mcmc__source {
    const double *center; /* a ball of this center and radius, or */
    const double *radius;
    const bml_mcmc_prior *prior;
} bml_mcmc__source;

static int bml_mcmc__ensemble_draw_start(bml_mcmc_ensemble *e, double *theta, const bml_mcmc__source *from,
                                         bml_mcmc_rng *rng) {
    double *cube = e->hastings; /* n_walkers >= 2 n_dim numbers, free between steps */
    for (ptrdiff_t i = 0; i < e->d; i++)
        cube[i] = bml_mcmc_rng_uniform(rng);
    if (from->prior) {
        return bml_mcmc_prior_transform(from->prior, theta, cube);
    }
    for (ptrdiff_t i = 0; i < e->d; i++)
        theta[i] = from->center[i] + from->radius[i] * (2 * cube[i] - 1);
    return BML_MCMC_OK;
}

/* One draw of each walker in e->order[n]; those at -infinity are left in it. Returns how many, or a status. */
static ptrdiff_t bml_mcmc__ensemble_start_round(bml_mcmc_ensemble *e, const bml_mcmc__source *from, ptrdiff_t n,
                                                int round) {
    ptrdiff_t d = e->d;
    ptrdiff_t left = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        bml_mcmc_rng rng = bml_mcmc__numbered_stream(e->config.seed, e->order[i], 0);
        rng.counter[0] = (uint32_t)(round * e->config.n_dim); /* d uniforms use fewer than d blocks */
        int status = bml_mcmc__ensemble_draw_start(e, e->old_theta + i * d, from, &rng);
        if (status) {
            return bml_mcmc__fail(e->message, status, "walker %d could not be drawn from the prior", e->order[i]);
        }
    }
    int status = bml_mcmc__ensemble_evaluate(e, e->old_log_prob, e->old_derived, e->old_theta, n, e->order);
    if (status) return status;
    e->evaluations += (uint64_t)n;
    for (ptrdiff_t i = 0; i < n; i++) {
        ptrdiff_t w = e->order[i];
        bml_mcmc__copy(e->proposal + w * d, e->old_theta + i * d, d);
        bml_mcmc__copy(e->proposal_derived + w * e->K, e->old_derived + i * e->K, e->K);
        e->proposal_log_prob[w] = e->old_log_prob[i];
        if (!(e->old_log_prob[i] >= -DBL_MAX)) {
            e->order[left++] = (int)w;
        }
    }
    return left;
}

/* Draws every walker from its own stream; those at -infinity again, together, up to BML_MCMC__REDRAWS times. */
static int bml_mcmc__ensemble_start_drawn(bml_mcmc_ensemble *e, const bml_mcmc__source *from) {
    ptrdiff_t todo = e->W;
    for (ptrdiff_t i = 0; i < e->W; i++)
        e->order[i] = (int)i;
    for (int round = 0; round < BML_MCMC__REDRAWS && todo > 0; round++)
        todo = bml_mcmc__ensemble_start_round(e, from, todo, round);
    if (todo < 0) {
        return (int)todo;
    }
    int status = todo ? BML_MCMC_OK : bml_mcmc__ensemble_check_start(e, e->proposal);
    return status ? status : bml_mcmc__ensemble_begin(e);
}

BML_MCMC_DEF int bml_mcmc_start_ball(bml_mcmc_ensemble *e, const double *center, const double *radius) {
    bml_mcmc__source from = {center, radius, NULL};
    int status = bml_mcmc__ensemble_reset(e);
    if (status) return status;
    if (!center || !radius) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "center or radius is missing");
    }
    for (ptrdiff_t i = 0; i < e->d; i++) {
        int good = bml_mcmc__is_finite(center[i]) && radius[i] > 0 && radius[i] <= DBL_MAX;
        if (good) {
            continue;
        }
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_START, "ball: parameter %d has center %g and radius %g", (int)i,
                              center[i], radius[i]);
    }
    return bml_mcmc__ensemble_start_drawn(e, &from);
}

BML_MCMC_DEF int bml_mcmc_start_prior(bml_mcmc_ensemble *e, const bml_mcmc_prior *prior) {
    bml_mcmc__source from = {NULL, NULL, prior};
    int status = bml_mcmc__ensemble_reset(e);
    if (status) return status;
    int dims = prior ? (int)prior->n_dim : 0;
    if (dims != e->config.n_dim) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "the prior has %d dimensions, the sampler %d", dims,
                              e->config.n_dim);
    }
    return bml_mcmc__ensemble_start_drawn(e, &from);
}

BML_MCMC_DEF int bml_mcmc_start_given(bml_mcmc_ensemble *e, const double *theta) {
    int status = bml_mcmc__ensemble_reset(e);
    if (status) return status;
    if (!theta) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_ARGUMENT, "theta is missing");
    }
    bml_mcmc__copy(e->proposal, theta, e->W * e->d);
    status = bml_mcmc__ensemble_check_start(e, e->proposal);
    if (!status) {
        status = bml_mcmc__ensemble_evaluate(e, e->proposal_log_prob, e->proposal_derived, e->proposal, e->W, NULL);
    }
    if (status) return status;
    e->evaluations = (uint64_t)e->W;
    return bml_mcmc__ensemble_begin(e);
}

/* >> ensemble: steps
   A step is taken whole or not at all: a failing callback leaves the positions of the step before. */

/* Room for `more` further steps; grows by half at least, so that many short runs do not copy the chain each time. */
static int bml_mcmc__ensemble_reserve(bml_mcmc_ensemble *e, ptrdiff_t more) {
    if (more > PTRDIFF_MAX / 2 - e->stored) {
        return bml_mcmc__fail(e->message, BML_MCMC_TOO_LARGE, "chain of more than 2^62 steps");
    }
    ptrdiff_t capacity = e->stored + more;
    if (capacity <= e->capacity) {
        return BML_MCMC_OK;
    }
    if (capacity < e->capacity + e->capacity / 2) {
        capacity = e->capacity + e->capacity / 2;
    }
    size_t bytes;
    if (!bml_mcmc__multiply(&bytes, capacity, e->W, (e->d + e->K + 1) * (ptrdiff_t)sizeof(double))) {
        return bml_mcmc__fail(e->message, BML_MCMC_TOO_LARGE, "chain of %lld steps", (long long)capacity);
    }
    int grown = bml_mcmc__grow(&e->chain, capacity, e->W * e->d);
    if (grown) {
        grown = bml_mcmc__grow(&e->chain_log_prob, capacity, e->W);
    }
    if (grown && e->K) {
        grown = bml_mcmc__grow(&e->chain_derived, capacity, e->W * e->K);
    }
    if (!grown) {
        return bml_mcmc__fail(e->message, BML_MCMC_NO_MEMORY, "chain of %lld steps", (long long)capacity);
    }
    e->capacity = capacity;
    return BML_MCMC_OK;
}

/* A random order of the walkers: its first half is updated first (Fisher & Yates). */
static void bml_mcmc__shuffle(int *order, ptrdiff_t n, bml_mcmc_rng *rng) {
    for (ptrdiff_t i = 0; i < n; i++) {
        ptrdiff_t j = bml_mcmc__below(rng, i + 1);
        order[i] = order[j];
        order[j] = (int)i;
    }
}

/* Proposals for the walkers mine[0..H-1]; each draws from its own stream of this step. */
static void bml_mcmc__ensemble_propose(bml_mcmc_ensemble *e, const int *mine, int kind) {
    const bml_mcmc__half *from = kind == BML_MCMC_MIXTURE && e->reference.n ? &e->reference : &e->half;
    ptrdiff_t d = e->d;
    for (ptrdiff_t i = 0; i < e->half.n; i++) {
        bml_mcmc_rng rng = bml_mcmc__numbered_stream(e->config.seed, mine[i], e->step + 1);
        const double *x = e->theta + mine[i] * d;
        double *y = e->proposal + i * d;
        e->log_u[i] = log(bml_mcmc_rng_uniform(&rng));
        e->hastings[i] = bml_mcmc__moves[kind].propose(y, x, from, &rng);
        if (bml_mcmc__all_finite(y, d) && e->hastings[i] <= DBL_MAX) {
            continue;
        }
        bml_mcmc__copy(y, x, d); /* overflowed: asks for x again and stays there */
        e->hastings[i] = -BML_MCMC__INF;
    }
}

/* Which move an inner step takes, from a uniform number. */
static int bml_mcmc__inner_kind(double u, double mixture) {
    if (u < mixture) {
        return BML_MCMC_MIXTURE;
    }
    return u < mixture + 0.5 * (1 - mixture) ? BML_MCMC_STRETCH : BML_MCMC_DE;
}

/* One inner step of every walker's surrogate chain: proposals tried[H][d], with e->hastings. */
static void bml_mcmc__ensemble_inner_propose(bml_mcmc_ensemble *e, double *tried) {
    bml_mcmc__half inner = e->half; /* the same complementary half, with the inner moves' scales */
    ptrdiff_t d = e->d;
    double mixture = e->reference.n ? e->half.move.scale : 0;
    for (ptrdiff_t i = 0; i < e->half.n; i++) {
        bml_mcmc_rng *rng = &e->inner_rng[i];
        int kind = bml_mcmc__inner_kind(bml_mcmc_rng_uniform(rng), mixture);
        const bml_mcmc__half *from = kind == BML_MCMC_MIXTURE ? &e->reference : &inner;
        const double *x = e->proposal + i * d;
        double *y = tried + i * d;
        inner.move.scale = kind == BML_MCMC_DE ? 2.38 / sqrt(2.0 * (double)d) : bml_mcmc__moves[kind].scale;
        e->hastings[i] = bml_mcmc__moves[kind].propose(y, x, from, rng);
        if (!bml_mcmc__all_finite(y, d)) {
            bml_mcmc__copy(y, x, d);
        }
    }
}

/* Proposals of the surrogate move. All walkers of the half take each inner step together, so that the surrogate is
   called for many points at once; e->inner = positions tried [H][d], log s tried [H], now [H], at the start [H]. */
static int bml_mcmc__ensemble_propose_surrogate(bml_mcmc_ensemble *e, const int *mine) {
    ptrdiff_t H = e->half.n;
    ptrdiff_t d = e->d;
    double *tried = e->inner;
    double *log_tried = tried + H * d;
    double *log_now = log_tried + H;
    double *log_start = log_now + H;
    for (ptrdiff_t i = 0; i < H; i++) {
        e->inner_rng[i] = bml_mcmc__numbered_stream(e->config.seed, mine[i], e->step + 1);
        e->log_u[i] = log(bml_mcmc_rng_uniform(&e->inner_rng[i]));
        bml_mcmc__copy(e->proposal + i * d, e->theta + mine[i] * d, d);
    }
    int status = bml_mcmc__ensemble_ask_surrogate(e, log_start, e->proposal, H, mine);
    if (status) return status;
    bml_mcmc__copy(log_now, log_start, H);
    for (int k = 0; k < e->half.move.count; k++) {
        bml_mcmc__ensemble_inner_propose(e, tried);
        status = bml_mcmc__ensemble_ask_surrogate(e, log_tried, tried, H, mine);
        if (status) return status;
        for (ptrdiff_t i = 0; i < H; i++) {
            double log_ratio = e->hastings[i] + log_tried[i] - log_now[i];
            if (!(log(bml_mcmc_rng_uniform(&e->inner_rng[i])) < log_ratio)) {
                continue;
            }
            bml_mcmc__copy(e->proposal + i * d, tried + i * d, d);
            log_now[i] = log_tried[i];
        }
    }
    for (ptrdiff_t i = 0; i < H; i++) /* a start that the surrogate calls impossible cannot be left by this move */
        e->hastings[i] = log_start[i] > -BML_MCMC__INF ? log_start[i] - log_now[i] : -BML_MCMC__INF;
    return BML_MCMC_OK;
}

/* Draws the half-step's move, and fits what it needs to the complementary half. Returns its number; *kind is what the
   proposals are made by. */
static int bml_mcmc__ensemble_choose_move(bml_mcmc_ensemble *e, int *kind, bml_mcmc_rng *shared) {
    bml_mcmc__half *half = &e->half;
    double u = bml_mcmc_rng_uniform(shared);
    int m = 0;
    while (m < e->config.n_moves - 1 && u > e->cumulative[m])
        m++;
    half->move = e->moves[m];
    *kind = half->move.kind;
    const bml_mcmc__move_row *row = &bml_mcmc__moves[*kind];
    int from_reference = *kind == BML_MCMC_MIXTURE && e->reference.n;
    if (!row->fit || from_reference || row->fit(half, shared)) {
        return m;
    }
    *kind = BML_MCMC_STRETCH;
    half->move.scale = bml_mcmc__moves[BML_MCMC_STRETCH].scale;
    return m;
}

/* Moves half 0 or 1 of the order, the other standing still. Positions change, counts do not. */
static int bml_mcmc__ensemble_half_step(bml_mcmc_ensemble *e, int which, int *move, bml_mcmc_rng *shared) {
    ptrdiff_t d = e->d;
    ptrdiff_t K = e->K;
    ptrdiff_t H = e->half.n;
    const int *mine = e->order + which * H;
    const int *theirs = e->order + (1 - which) * H;
    int kind;
    for (ptrdiff_t i = 0; i < H; i++)
        bml_mcmc__copy(e->other + i * d, e->theta + theirs[i] * d, d);
    *move = bml_mcmc__ensemble_choose_move(e, &kind, shared);
    if (kind == BML_MCMC_SURROGATE) {
        int status = bml_mcmc__ensemble_propose_surrogate(e, mine);
        if (status) return status;
    } else {
        bml_mcmc__ensemble_propose(e, mine, kind);
    }
    int status = bml_mcmc__ensemble_evaluate(e, e->proposal_log_prob, e->proposal_derived, e->proposal, H, mine);
    if (status) return status;
    for (ptrdiff_t i = 0; i < H; i++) {
        ptrdiff_t w = mine[i];
        double log_ratio = e->hastings[i] + e->proposal_log_prob[i] - e->log_prob[w];
        e->moved[w] = e->log_u[i] < log_ratio;
        if (!e->moved[w]) {
            continue;
        }
        bml_mcmc__copy(e->theta + w * d, e->proposal + i * d, d);
        bml_mcmc__copy(e->derived + w * K, e->proposal_derived + i * K, K);
        e->log_prob[w] = e->proposal_log_prob[i];
    }
    return BML_MCMC_OK;
}

static void bml_mcmc__ensemble_count_step(bml_mcmc_ensemble *e, const int *used) {
    ptrdiff_t H = e->half.n;
    for (int which = 0; which < 2; which++) {
        const int *mine = e->order + which * H;
        e->moves_proposed[used[which]] += (uint64_t)H;
        for (ptrdiff_t i = 0; i < H; i++) {
            uint64_t taken = (uint64_t)e->moved[mine[i]];
            e->accepted[mine[i]] += taken;
            e->moves_accepted[used[which]] += taken;
        }
    }
    e->evaluations += (uint64_t)e->W;
    e->step++;
    e->steps_counted++;
    e->forgive = 0;
}

static int bml_mcmc__ensemble_step(bml_mcmc_ensemble *e) {
    bml_mcmc_rng shared = bml_mcmc__numbered_stream(e->config.seed, BML_MCMC__SHARED, e->step + 1);
    int used[2];
    uint64_t nans = e->nans;
    bml_mcmc__copy(e->old_theta, e->theta, e->W * e->d);
    bml_mcmc__copy(e->old_log_prob, e->log_prob, e->W);
    bml_mcmc__copy(e->old_derived, e->derived, e->W * e->K);
    bml_mcmc__shuffle(e->order, e->W, &shared);
    for (int which = 0; which < 2; which++) {
        int status = bml_mcmc__ensemble_half_step(e, which, &used[which], &shared);
        if (!status) {
            continue;
        }
        bml_mcmc__copy(e->theta, e->old_theta, e->W * e->d);
        bml_mcmc__copy(e->log_prob, e->old_log_prob, e->W);
        bml_mcmc__copy(e->derived, e->old_derived, e->W * e->K);
        e->nans = nans;
        return status;
    }
    bml_mcmc__ensemble_count_step(e, used);
    return BML_MCMC_OK;
}

static void bml_mcmc__ensemble_store(bml_mcmc_ensemble *e) {
    ptrdiff_t row = e->stored * e->W;
    bml_mcmc__copy(e->chain + row * e->d, e->theta, e->W * e->d);
    bml_mcmc__copy(e->chain_log_prob + row, e->log_prob, e->W);
    if (e->K) {
        bml_mcmc__copy(e->chain_derived + row * e->K, e->derived, e->W * e->K);
    }
    e->stored++;
}

static int bml_mcmc__ensemble_report(const bml_mcmc_ensemble *e, uint64_t last) {
    bml_mcmc_progress p;
    uint64_t accepted = 0;
    for (int i = 0; i < e->config.n_moves; i++)
        accepted += e->moves_accepted[i];
    p.step = e->step;
    p.last = last;
    p.evaluations = e->evaluations;
    p.acceptance = (double)accepted / ((double)e->steps_counted * e->config.n_walkers);
    return e->config.progress(&p, e->config.progress_user);
}

BML_MCMC_DEF int bml_mcmc_run(bml_mcmc_ensemble *e, size_t n_steps) {
    if (!e) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    if (!e->started) {
        return bml_mcmc__fail(e->message, BML_MCMC_NOT_STARTED, "call one of bml_mcmc_start_... first");
    }
    uint64_t thin = (uint64_t)e->config.thin;
    if (n_steps > BML_MCMC__LAST_STEP - e->step) {
        return bml_mcmc__fail(e->message, BML_MCMC_TOO_LARGE, "more than 2^62 steps");
    }
    uint64_t last = e->step + n_steps;
    e->message[0] = 0;
    int status = bml_mcmc__ensemble_reserve(e, (ptrdiff_t)(last / thin - e->step / thin));
    if (status) return status;
    while (e->step < last) {
        status = bml_mcmc__ensemble_step(e);
        if (status) return status;
        if (e->step % thin == 0) {
            bml_mcmc__ensemble_store(e);
        }
        if (e->config.progress && bml_mcmc__ensemble_report(e, last)) {
            return bml_mcmc__fail(e->message, BML_MCMC_CANCELLED, "after step %llu", (unsigned long long)e->step);
        }
    }
    return BML_MCMC_OK;
}

BML_MCMC_DEF void bml_mcmc_ensemble_clear(bml_mcmc_ensemble *e) {
    if (!e) {
        return;
    }
    e->stored = 0;
    e->steps_counted = 0;
    e->nans = 0;
    memset(e->accepted, 0, sizeof *e->accepted * (size_t)e->W);
    memset(e->moves_proposed, 0, sizeof e->moves_proposed);
    memset(e->moves_accepted, 0, sizeof e->moves_accepted);
}

BML_MCMC_DEF bml_mcmc_chain bml_mcmc_ensemble_chain(const bml_mcmc_ensemble *e) {
    bml_mcmc_chain c = {NULL, NULL, 0, 0, 0};
    if (!e) {
        return c;
    }
    c.theta = e->chain;
    c.log_prob = e->chain_log_prob;
    c.n_steps = (size_t)e->stored;
    c.n_walkers = e->config.n_walkers;
    c.n_dim = e->config.n_dim;
    return c;
}

BML_MCMC_DEF bml_mcmc_chain bml_mcmc_ensemble_derived(const bml_mcmc_ensemble *e) {
    bml_mcmc_chain c = bml_mcmc_ensemble_chain(e);
    if (!e) {
        return c;
    }
    c.theta = e->chain_derived;
    c.n_dim = e->config.n_derived;
    return c;
}

BML_MCMC_DEF bml_mcmc_ensemble_info bml_mcmc_ensemble_get_info(const bml_mcmc_ensemble *e) {
    bml_mcmc_ensemble_info i;
    memset(&i, 0, sizeof i);
    if (!e) {
        return i;
    }
    i.n_dim = e->config.n_dim;
    i.n_walkers = e->config.n_walkers;
    i.n_moves = e->config.n_moves;
    i.thin = e->config.thin;
    i.step = e->step;
    i.evaluations = e->evaluations;
    i.steps_counted = e->steps_counted;
    i.nans = e->nans;
    i.theta = e->theta;
    i.log_prob = e->log_prob;
    i.accepted = e->accepted;
    i.moves = e->moves;
    i.moves_proposed = e->moves_proposed;
    i.moves_accepted = e->moves_accepted;
    return i;
}

/* >> saved states
   A state is a row of 8-byte words, integers and doubles, in this machine's byte order: magic, version and kind of
   sampler, size, checksum; words that must agree with the sampler that loads it; a count n; then the rest, whose size
   is given by n. A state is somebody else's bytes: whatever a sampler would index, divide or loop by is checked before
   the sampler is touched. */

enum { BML_MCMC__STATE_VERSION = 5 };
enum { BML_MCMC__KIND_ENSEMBLE, BML_MCMC__KIND_NESTED, BML_MCMC__KIND_NUTS, BML_MCMC__KIND_IMPORTANCE };
enum { BML_MCMC__HEAD = 4 };                                         /* words */
enum { BML_MCMC__FIXED = 8 + 4 * BML_MCMC_MAX_MOVES };               /* words that must agree */
enum { BML_MCMC__COUNTS = 5 + 2 * BML_MCMC_MAX_MOVES };              /* of the ensemble */
static const uint64_t bml_mcmc__state_magic = 0x62616c656e73626dull; /* other byte orders read another number */

/* FNV-1a, a word at a time, with a shift so that high bits reach the low ones. */
static uint64_t bml_mcmc__checksum(const unsigned char *p, ptrdiff_t words) {
    uint64_t h = 14695981039346656037ull;
    for (; words > 0; words--) {
        uint64_t w;
        memcpy(&w, p, 8);
        h = (h ^ w) * 1099511628211ull;
        h ^= h >> 29;
        p += 8;
    }
    return h;
}

/* A field of the state, doubles or uint64_t: from the sampler to the buffer, and back. */
static void bml_mcmc__put(unsigned char **at, const void *field, ptrdiff_t words) {
    size_t bytes = 8 * (size_t)words;
    if (bytes) {
        memcpy(*at, field, bytes);
    }
    *at += bytes;
}

static void bml_mcmc__get(void *field, const unsigned char **at, ptrdiff_t words) {
    size_t bytes = 8 * (size_t)words;
    if (bytes) {
        memcpy(field, *at, bytes);
    }
    *at += bytes;
}

/* Begins a state of `words` words: *at moves behind the count. */
static int bml_mcmc__save_head(char *message, unsigned char **at, size_t size, ptrdiff_t words, const uint64_t *fixed,
                               ptrdiff_t n) {
    uint64_t count = (uint64_t)n;
    if (!words) {
        return bml_mcmc__fail(message, BML_MCMC_NOT_STARTED, "nothing to save");
    }
    if (!*at || size / 8 < (size_t)words) {
        return bml_mcmc__fail(message, BML_MCMC_BAD_ARGUMENT, "the state needs %lld bytes", 8 * (long long)words);
    }
    *at += 8 * BML_MCMC__HEAD;
    bml_mcmc__put(at, fixed, BML_MCMC__FIXED);
    bml_mcmc__put(at, &count, 1);
    return BML_MCMC_OK;
}

/* Ends it. */
static void bml_mcmc__seal(void *buffer, ptrdiff_t words, int kind) {
    uint64_t head[BML_MCMC__HEAD];
    head[0] = bml_mcmc__state_magic;
    head[1] = BML_MCMC__STATE_VERSION + 256 * (uint64_t)kind;
    head[2] = 8 * (uint64_t)words;
    head[3] = bml_mcmc__checksum((unsigned char *)buffer + sizeof head, words - BML_MCMC__HEAD);
    memcpy(buffer, head, sizeof head);
}

/* What a state must be to be loaded: of this kind, with these words, and least + n row words long. */
typedef struct bml_mcmc__expected {
    int kind;
    const uint64_t *fixed;
    const char *const *names; /* [n_names] of the first of them */
    int n_names;
    ptrdiff_t least;
    ptrdiff_t row;
} bml_mcmc__expected;

static int bml_mcmc__check_fixed(char *message, const uint64_t *there, const bml_mcmc__expected *want) {
    for (int i = 0; i < BML_MCMC__FIXED; i++) {
        if (there[i] == want->fixed[i]) {
            continue;
        }
        return bml_mcmc__fail(message, BML_MCMC_BAD_STATE, "saved with other settings: %s is %llu there, %llu here",
                              i < want->n_names ? want->names[i] : "a word of the moves", (unsigned long long)there[i],
                              (unsigned long long)want->fixed[i]);
    }
    return BML_MCMC_OK;
}

/* *at = behind the count, *n. */
static int bml_mcmc__check_head(char *message, const void *buffer, size_t size, const bml_mcmc__expected *want,
                                const unsigned char **at, ptrdiff_t *n) {
    const unsigned char *bytes = (const unsigned char *)buffer;
    uint64_t head[BML_MCMC__HEAD];
    uint64_t fixed[BML_MCMC__FIXED];
    uint64_t count;
    *at = bytes;
    if (!buffer) {
        return bml_mcmc__fail(message, BML_MCMC_BAD_ARGUMENT, "buffer is missing");
    }
    uint64_t words = size / 8;
    uint64_t least = (uint64_t)want->least;
    uint64_t row = (uint64_t)want->row;
    if (words < least) {
        return bml_mcmc__fail(message, BML_MCMC_BAD_STATE, "only %llu bytes", (unsigned long long)size);
    }
    bml_mcmc__get(head, at, BML_MCMC__HEAD);
    if (head[0] != bml_mcmc__state_magic || head[1] != BML_MCMC__STATE_VERSION + 256 * (uint64_t)want->kind) {
        return bml_mcmc__fail(message, BML_MCMC_BAD_STATE,
                              "not a state of this sampler, this version and this byte order");
    }
    bml_mcmc__get(fixed, at, BML_MCMC__FIXED);
    int status = bml_mcmc__check_fixed(message, fixed, want);
    if (status) return status;
    bml_mcmc__get(&count, at, 1);
    if (count > (words - least) / row || head[2] != 8 * (least + count * row)) {
        return bml_mcmc__fail(message, BML_MCMC_BAD_STATE, "%llu bytes do not hold what they say",
                              (unsigned long long)size);
    }
    ptrdiff_t body = want->least + (ptrdiff_t)count * want->row - BML_MCMC__HEAD;
    if (head[3] != bml_mcmc__checksum(bytes + sizeof head, body)) {
        return bml_mcmc__fail(message, BML_MCMC_BAD_STATE, "the checksum is wrong");
    }
    *n = (ptrdiff_t)count;
    return BML_MCMC_OK;
}

/* Is a saved log-probability that of the same point now? Another problem does not pass. */
static int bml_mcmc__same_value(double saved, double now) {
    return fabs(now - saved) <= 1e-6 * (1 + fabs(saved));
}

/* Words that a state must share with the sampler it is loaded into. */
static void bml_mcmc__ensemble_fingerprint(uint64_t *words, const bml_mcmc_ensemble *e) {
    memset(words, 0, 8 * BML_MCMC__FIXED);
    words[0] = (uint64_t)e->config.n_dim;
    words[1] = (uint64_t)e->config.n_walkers;
    words[2] = e->config.seed;
    words[3] = (uint64_t)e->config.thin;
    words[4] = (uint64_t)e->config.n_moves;
    words[5] = (uint64_t)e->config.n_derived;
    for (int i = 0; i < e->config.n_moves; i++) {
        uint64_t *w = words + 8 + 4 * i;
        w[0] = (uint64_t)e->moves[i].kind;
        w[1] = (uint64_t)(int64_t)e->moves[i].count;
        memcpy(w + 2, &e->moves[i].weight, 8);
        memcpy(w + 3, &e->moves[i].scale, 8);
    }
}

static ptrdiff_t bml_mcmc__ensemble_state_words(const bml_mcmc_ensemble *e, ptrdiff_t stored) {
    ptrdiff_t before = BML_MCMC__HEAD + BML_MCMC__FIXED + 1 + BML_MCMC__COUNTS + 2 * e->W + 1;
    return before + (stored + 1) * e->W * (e->d + e->K + 1);
}

BML_MCMC_DEF size_t bml_mcmc_ensemble_save_size(const bml_mcmc_ensemble *e) {
    return e && e->started ? 8 * (size_t)bml_mcmc__ensemble_state_words(e, e->stored) : 0;
}

BML_MCMC_DEF int bml_mcmc_ensemble_save(bml_mcmc_ensemble *e, void *buffer, size_t size) {
    uint64_t fixed[BML_MCMC__FIXED];
    unsigned char *at = (unsigned char *)buffer;
    if (!e) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    uint64_t counts[5] = {e->step, e->evaluations, e->steps_counted, e->nans, (uint64_t)e->forgive};
    ptrdiff_t words = e->started ? bml_mcmc__ensemble_state_words(e, e->stored) : 0;
    bml_mcmc__ensemble_fingerprint(fixed, e);
    int status = bml_mcmc__save_head(e->message, &at, size, words, fixed, e->stored);
    if (status) return status;
    bml_mcmc__put(&at, counts, 5);
    bml_mcmc__put(&at, e->moves_proposed, BML_MCMC_MAX_MOVES);
    bml_mcmc__put(&at, e->moves_accepted, BML_MCMC_MAX_MOVES);
    bml_mcmc__put(&at, e->accepted, e->W);
    bml_mcmc__put(&at, e->rescued, e->W);
    bml_mcmc__put(&at, &e->rescue_gap, 1);
    bml_mcmc__put(&at, e->theta, e->W * e->d);
    bml_mcmc__put(&at, e->log_prob, e->W);
    bml_mcmc__put(&at, e->derived, e->W * e->K);
    bml_mcmc__put(&at, e->chain, e->stored * e->W * e->d);
    bml_mcmc__put(&at, e->chain_log_prob, e->stored * e->W);
    bml_mcmc__put(&at, e->chain_derived, e->stored * e->W * e->K);
    bml_mcmc__seal(buffer, words, BML_MCMC__KIND_ENSEMBLE);
    return BML_MCMC_OK;
}

/* The counts, and saved positions whose log-probabilities must be the saved ones. Leaves them in proposal and old_. */
static int bml_mcmc__ensemble_check_saved_walkers(bml_mcmc_ensemble *e, const unsigned char *at) {
    uint64_t counts[5];
    bml_mcmc__get(counts, &at, 5);
    int counted = counts[0] <= BML_MCMC__LAST_STEP && counts[2] <= counts[0] && counts[4] <= 1;
    if (!counted) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_STATE, "its counts of steps are impossible");
    }
    at += 8 * (2 * BML_MCMC_MAX_MOVES + e->W);
    int possible = 1; /* a walker is rescued once a step at most */
    for (ptrdiff_t w = 0; w < e->W; w++) {
        uint64_t rescued;
        bml_mcmc__get(&rescued, &at, 1);
        possible &= rescued <= counts[0];
    }
    double gap;
    bml_mcmc__get(&gap, &at, 1);
    if (!possible || !(gap >= 0)) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_STATE, "its counts of rescued walkers are impossible");
    }
    bml_mcmc__get(e->proposal, &at, e->W * e->d);
    bml_mcmc__get(e->old_log_prob, &at, e->W);
    if (!bml_mcmc__all_finite(e->proposal, e->W * e->d)) {
        return bml_mcmc__fail(e->message, BML_MCMC_BAD_STATE, "a saved position is not finite");
    }
    uint64_t nans = e->nans;
    int forgive = e->forgive;
    int status = bml_mcmc__ensemble_evaluate(e, e->proposal_log_prob, e->proposal_derived, e->proposal, e->W, NULL);
    e->nans = nans;
    e->forgive = forgive;
    for (ptrdiff_t i = 0; i < e->W && !status; i++) {
        if (bml_mcmc__same_value(e->old_log_prob[i], e->proposal_log_prob[i])) {
            continue;
        }
        status = bml_mcmc__fail(e->message, BML_MCMC_BAD_STATE,
                                "walker %d: log-probability %.10g saved, %.10g now: another problem", (int)i,
                                e->old_log_prob[i], e->proposal_log_prob[i]);
    }
    return status;
}

BML_MCMC_DEF int bml_mcmc_ensemble_load(bml_mcmc_ensemble *e, const void *buffer, size_t size) {
    static const char *const names[6] = {"n_dim", "n_walkers", "seed", "thin", "n_moves", "n_derived"};
    uint64_t fixed[BML_MCMC__FIXED];
    uint64_t counts[5];
    const unsigned char *at;
    ptrdiff_t stored = 0;
    if (!e) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    ptrdiff_t least = bml_mcmc__ensemble_state_words(e, 0);
    bml_mcmc__expected want = {
        BML_MCMC__KIND_ENSEMBLE, fixed, names, 6, least, bml_mcmc__ensemble_state_words(e, 1) - least};
    bml_mcmc__ensemble_fingerprint(fixed, e);
    int status = bml_mcmc__check_head(e->message, buffer, size, &want, &at, &stored);
    if (!status) {
        status = bml_mcmc__ensemble_check_saved_walkers(e, at);
    }
    if (!status && stored > e->stored) {
        status = bml_mcmc__ensemble_reserve(e, stored - e->stored);
    }
    if (status) return status;
    e->stored = stored;
    bml_mcmc__get(counts, &at, 5);
    e->step = counts[0];
    e->evaluations = counts[1];
    e->steps_counted = counts[2];
    e->nans = counts[3];
    e->forgive = (int)counts[4];
    bml_mcmc__get(e->moves_proposed, &at, BML_MCMC_MAX_MOVES);
    bml_mcmc__get(e->moves_accepted, &at, BML_MCMC_MAX_MOVES);
    bml_mcmc__get(e->accepted, &at, e->W);
    bml_mcmc__get(e->rescued, &at, e->W);
    bml_mcmc__get(&e->rescue_gap, &at, 1);
    bml_mcmc__get(e->theta, &at, e->W * e->d);
    bml_mcmc__get(e->log_prob, &at, e->W);
    bml_mcmc__get(e->derived, &at, e->W * e->K);
    bml_mcmc__get(e->chain, &at, stored * e->W * e->d);
    bml_mcmc__get(e->chain_log_prob, &at, stored * e->W);
    bml_mcmc__get(e->chain_derived, &at, stored * e->W * e->K);
    e->started = 1;
    e->message[0] = 0;
    return BML_MCMC_OK;
}

/* >> diagnostics
   A parameter at a time: its column x[n_walkers][n_steps] is gathered, sorted once for quantiles and ranks, and
   transformed for autocorrelations. */

#define BML_MCMC__RHAT_LIMIT 1.01

BML_MCMC_DEF bml_mcmc_chain bml_mcmc_chain_drop(bml_mcmc_chain chain, size_t burn) {
    if (burn > chain.n_steps) {
        burn = chain.n_steps;
    }
    ptrdiff_t rows = (ptrdiff_t)burn * chain.n_walkers;
    if (chain.theta) {
        chain.theta += rows * chain.n_dim;
    }
    if (chain.log_prob) {
        chain.log_prob += rows;
    }
    chain.n_steps -= burn;
    return chain;
}

/* The sum over chains of their autocorrelations is one inverse transform of the sum of their power spectra; two chains
   share a complex transform, since |FT(a + i b)|^2 symmetrised is |FT a|^2 + |FT b|^2. The forward transform leaves its
   bins in bit-reversed order and the inverse one takes them so: no reordering. w[h + j] = exp(-i pi j/h). */
static void bml_mcmc__fft_forward(double *BML_MCMC__RESTRICT re, double *BML_MCMC__RESTRICT im,
                                  const double *BML_MCMC__RESTRICT wr, const double *BML_MCMC__RESTRICT wi,
                                  ptrdiff_t n) {
    ptrdiff_t h = n / 2;
    if (n < 2) {
        return;
    }
    for (ptrdiff_t j = 0; j < h; j++) {
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

static void bml_mcmc__fft_inverse(double *BML_MCMC__RESTRICT re, double *BML_MCMC__RESTRICT im,
                                  const double *BML_MCMC__RESTRICT wr, const double *BML_MCMC__RESTRICT wi,
                                  ptrdiff_t n) {
    ptrdiff_t h = n / 2;
    if (n < 2) {
        return;
    }
    bml_mcmc__fft_inverse(re, im, wr, wi, h);
    bml_mcmc__fft_inverse(re + h, im + h, wr, wi, h);
    for (ptrdiff_t j = 0; j < h; j++) {
        double dr = re[j + h] * wr[h + j] + im[j + h] * wi[h + j];
        double di = im[j + h] * wr[h + j] - re[j + h] * wi[h + j];
        re[j + h] = re[j] - dr;
        im[j + h] = im[j] - di;
        re[j] += dr;
        im[j] += di;
    }
}

/* Scratch of the diagnostics, in one block. */
typedef struct bml_mcmc__bench {
    ptrdiff_t n;          /* steps */
    ptrdiff_t W;          /* walkers */
    ptrdiff_t m;          /* transform length, at least 1.5 n: lags of whole chains to n/2, of halves to the end */
    double *wr;           /* [m] */
    double *wi;           /* [m] */
    double *re;           /* [m] */
    double *im;           /* [m] */
    double *power;        /* [m] summed over chains */
    double *x;            /* [W][n] */
    double *z;            /* [W][n] */
    bml_mcmc__key *order; /* [W n] */
    bml_mcmc__key *spare; /* [W n] */
} bml_mcmc__bench;

static ptrdiff_t bml_mcmc__bench_layout(bml_mcmc__bench *b, double *base) {
    ptrdiff_t used = 0;
    b->wr = bml_mcmc__take(base, &used, b->m);
    b->wi = bml_mcmc__take(base, &used, b->m);
    b->re = bml_mcmc__take(base, &used, b->m);
    b->im = bml_mcmc__take(base, &used, b->m);
    b->power = bml_mcmc__take(base, &used, b->m);
    b->x = bml_mcmc__take(base, &used, b->n * b->W);
    b->z = bml_mcmc__take(base, &used, b->n * b->W);
    ptrdiff_t keys = bml_mcmc__room(b->n * b->W, sizeof *b->order);
    b->order = (bml_mcmc__key *)bml_mcmc__take(base, &used, keys);
    b->spare = (bml_mcmc__key *)bml_mcmc__take(base, &used, keys);
    return used;
}

/* Frees b->wr. */
static int bml_mcmc__bench_make(bml_mcmc__bench *b, const bml_mcmc_chain *c) {
    memset(b, 0, sizeof *b);
    b->n = (ptrdiff_t)c->n_steps;
    b->W = c->n_walkers;
    b->m = 16;
    while (b->m < b->n + b->n / 2)
        b->m *= 2;
    double *block = bml_mcmc__doubles(bml_mcmc__bench_layout(b, NULL), 1);
    if (!block) {
        return BML_MCMC_NO_MEMORY;
    }
    bml_mcmc__bench_layout(b, block);
    for (ptrdiff_t h = 1; h < b->m; h *= 2)
        for (ptrdiff_t j = 0; j < h; j++) {
            double angle = -3.141592653589793 * (double)j / (double)h;
            b->wr[h + j] = cos(angle);
            b->wi[h + j] = sin(angle);
        }
    return BML_MCMC_OK;
}

static void bml_mcmc__gather(bml_mcmc__bench *b, const bml_mcmc_chain *c, ptrdiff_t k) {
    const double *from = c->theta + k;
    for (ptrdiff_t t = 0; t < b->n; t++)
        for (ptrdiff_t w = 0; w < b->W; w++) {
            b->x[w * b->n + t] = *from;
            from += c->n_dim;
        }
}

/* x[n] with its mean removed and sum of squares 1 goes to y[n]; 0 (and y = 0) when it is constant. */
static int bml_mcmc__normalise(double *y, const double *x, ptrdiff_t n) {
    double mean = 0;
    double sum2 = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        mean += (x[i] - x[0]) / (double)n;
    mean += x[0];
    for (ptrdiff_t i = 0; i < n; i++)
        sum2 += (x[i] - mean) * (x[i] - mean);
    int varies = sum2 > 1e-26 * mean * mean * (double)n && sum2 < DBL_MAX;
    double scale = varies ? 1 / sqrt(sum2) : 0;
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * scale;
    return scale > 0;
}

/* Adds the spectrum of b->re + i b->im, whose first n numbers are filled, to the power. */
static void bml_mcmc__add_power(bml_mcmc__bench *b, ptrdiff_t n) {
    bml_mcmc__clear(b->re + n, b->m - n);
    bml_mcmc__clear(b->im + n, b->m - n);
    bml_mcmc__fft_forward(b->re, b->im, b->wr, b->wi, b->m);
    for (ptrdiff_t t = 0; t < b->m; t++)
        b->power[t] += b->re[t] * b->re[t] + b->im[t] * b->im[t];
}

/* b->re = the sums over t of products at each lag, times m. */
static void bml_mcmc__power_to_lags(bml_mcmc__bench *b) {
    bml_mcmc__copy(b->re, b->power, b->m);
    bml_mcmc__clear(b->im, b->m);
    bml_mcmc__fft_inverse(b->re, b->im, b->wr, b->wi, b->m);
}

/* tau of the column b->x: Sokal's window over lags to n/2. A walker that never moved counts as rho = 1. */
static double bml_mcmc__column_tau(bml_mcmc__bench *b) {
    double n = (double)b->n;
    double tau = 1;
    int stuck = 0;
    bml_mcmc__clear(b->power, b->m);
    for (ptrdiff_t w = 0; w < b->W; w += 2) {
        bml_mcmc__clear(b->im, b->n);
        stuck += !bml_mcmc__normalise(b->re, b->x + w * b->n, b->n);
        if (w + 1 < b->W) {
            stuck += !bml_mcmc__normalise(b->im, b->x + (w + 1) * b->n, b->n);
        }
        bml_mcmc__add_power(b, b->n);
    }
    bml_mcmc__power_to_lags(b);
    for (ptrdiff_t t = 1; t <= b->n / 2 && (double)(t - 1) < 5 * tau; t++) {
        double rho = b->re[t] / (double)b->m + stuck * (1 - (double)t / n);
        tau += 2 * rho / (double)b->W;
    }
    return tau;
}

static int bml_mcmc__check_chain(const bml_mcmc_chain *c) {
    size_t bytes;
    if (!c->theta || c->n_steps < 8 || c->n_walkers < 1 || c->n_dim < 1) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    if (c->n_steps > PTRDIFF_MAX / 64) {
        return BML_MCMC_TOO_LARGE;
    }
    ptrdiff_t n = (ptrdiff_t)c->n_steps;
    if (!bml_mcmc__multiply(&bytes, n, c->n_walkers, 8 * (ptrdiff_t)c->n_dim)) {
        return BML_MCMC_TOO_LARGE;
    }
    return bml_mcmc__all_finite(c->theta, n * c->n_walkers * c->n_dim) ? BML_MCMC_OK : BML_MCMC_BAD_ARGUMENT;
}

BML_MCMC_DEF int bml_mcmc_autocorrelation(double *tau, bml_mcmc_chain chain) {
    bml_mcmc__bench b;
    int status = tau ? bml_mcmc__check_chain(&chain) : BML_MCMC_BAD_ARGUMENT;
    if (!status) {
        status = bml_mcmc__bench_make(&b, &chain);
    }
    if (status) return status;
    for (ptrdiff_t k = 0; k < chain.n_dim; k++) {
        bml_mcmc__gather(&b, &chain, k);
        tau[k] = bml_mcmc__column_tau(&b);
        if (!((double)chain.n_steps >= 50 * tau[k])) {
            status = BML_MCMC_NOT_CONVERGED;
        }
    }
    BML_MCMC_FREE(b.wr);
    return status;
}

/* Half-chain c of x[W][n], 0..2W-1: the middle step of an odd number is left out. */
static const double *bml_mcmc__half_chain(const bml_mcmc__bench *b, const double *x, ptrdiff_t c) {
    const double *whole = x + c / 2 * b->n;
    return c % 2 ? whole + b->n - b->n / 2 : whole;
}

static double bml_mcmc__mean(const double *x, ptrdiff_t n) {
    double sum = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        sum += x[i] - x[0];
    return x[0] + sum / (double)n;
}

/* Variances of the half-chains of x: *within is the mean of theirs (over n - 1), *between that of their means. */
static void bml_mcmc__variances(double *within, double *between, const bml_mcmc__bench *b, const double *x) {
    ptrdiff_t half = b->n / 2;
    ptrdiff_t m = 2 * b->W;
    double sum2 = 0;
    double means = 0;
    double means2 = 0;
    double origin = bml_mcmc__mean(x, half);
    for (ptrdiff_t c = 0; c < m; c++) {
        const double *y = bml_mcmc__half_chain(b, x, c);
        double mean = bml_mcmc__mean(y, half);
        for (ptrdiff_t t = 0; t < half; t++)
            sum2 += (y[t] - mean) * (y[t] - mean);
        means += mean - origin;
        means2 += (mean - origin) * (mean - origin);
    }
    double grand = means / (double)m;
    *within = sum2 / (double)(half - 1) / (double)m;
    *between = (means2 - (double)m * grand * grand) / (double)(m - 1);
    if (!(*between > 0)) {
        *between = 0;
    }
}

/* Split R-hat (Vehtari et al. 2021, eq. 1-4) of x[W][n]; infinite when every half-chain is constant at another value.
   */
static double bml_mcmc__split_rhat(const bml_mcmc__bench *b, const double *x) {
    double n = (double)(b->n / 2);
    double within;
    double between;
    bml_mcmc__variances(&within, &between, b, x);
    return sqrt((between + (n - 1) / n * within) / within);
}

/* Effective samples of x[W][n], split (Vehtari et al. 2021, eq. 10-12), summed by Geyer's initial monotone sequence
   (Geyer 1992; Gelman et al. 2013, 11.5). */
static double bml_mcmc__split_ess(bml_mcmc__bench *b, const double *x) {
    ptrdiff_t n = b->n / 2;
    ptrdiff_t m = 2 * b->W;
    double total = (double)(n * m);
    double within;
    double between;
    bml_mcmc__variances(&within, &between, b, x);
    if (!(within > 0)) {
        return between > 0 ? (double)m : total;
    }
    double pooled = (double)(n - 1) / (double)n * within + between;
    bml_mcmc__clear(b->power, b->m);
    for (ptrdiff_t c = 0; c < m; c += 2) {
        const double *first = bml_mcmc__half_chain(b, x, c);
        const double *second = bml_mcmc__half_chain(b, x, c + 1);
        double mean[2] = {bml_mcmc__mean(first, n), bml_mcmc__mean(second, n)};
        for (ptrdiff_t t = 0; t < n; t++) {
            b->re[t] = first[t] - mean[0];
            b->im[t] = second[t] - mean[1];
        }
        bml_mcmc__add_power(b, n);
    }
    bml_mcmc__power_to_lags(b);
    double *rho = b->re;
    for (ptrdiff_t t = 0; t < n; t++)
        rho[t] = 1 - (within - rho[t] / (double)b->m / total) / pooled;
    rho[0] = 1;
    double tau = -1 + 2 * (rho[0] + rho[1]);
    double pair = rho[0] + rho[1];
    ptrdiff_t t = 1;
    for (; t + 2 < n - 3 && rho[t + 1] + rho[t + 2] > 0; t += 2) {
        double next = rho[t + 1] + rho[t + 2];
        if (next < pair) {
            pair = next;
        }
        tau += 2 * pair;
    }
    if (t < n - 3 && rho[t + 1] > 0) { /* half of the pair where the sum ends */
        tau += rho[t + 1];
    }
    double least = 1 / log10(total);
    return total / (tau > least ? tau : least);
}

/* b->order = x[W n], sorted; returns how many. */
static ptrdiff_t bml_mcmc__sort_column(bml_mcmc__bench *b, const double *x) {
    ptrdiff_t n = b->n * b->W;
    for (ptrdiff_t i = 0; i < n; i++) {
        b->order[i].value = x[i];
        b->order[i].tie = 0;
        b->order[i].index = i;
    }
    bml_mcmc__sort_values(b->order, b->spare, n);
    return n;
}

/* Leaves the middle steps of an odd number out of the order, as halves of chains do; returns how many are left. */
static ptrdiff_t bml_mcmc__drop_middle(bml_mcmc__bench *b, ptrdiff_t n) {
    ptrdiff_t left = 0;
    if (b->n % 2 == 0) {
        return n;
    }
    for (ptrdiff_t i = 0; i < n; i++)
        if (b->order[i].index % b->n != b->n / 2) {
            b->order[left++] = b->order[i];
        }
    return left;
}

/* b->z = normal scores of the ranks in b->order (Blom 1958), ties at their mean rank. */
static void bml_mcmc__rank_scores(bml_mcmc__bench *b, ptrdiff_t n) {
    const bml_mcmc__key *order = b->order;
    ptrdiff_t next;
    for (ptrdiff_t i = 0; i < n; i = next) {
        next = i + 1;
        while (next < n && order[next].value == order[i].value)
            next++;
        double rank = 0.5 * (double)(i + 1 + next);
        double score = bml_mcmc__phi_inverse((rank - 0.375) / ((double)n + 0.25));
        for (ptrdiff_t j = i; j < next; j++)
            b->z[order[j].index] = score;
    }
}

/* The quantile q of the sorted keys, linear between order statistics. */
static double bml_mcmc__sorted_quantile(const bml_mcmc__key *order, ptrdiff_t n, double q) {
    double at = q * (double)(n - 1);
    ptrdiff_t k = (ptrdiff_t)at;
    double low = order[k].value;
    double high = order[k + 1 < n ? k + 1 : k].value;
    return low + (at - (double)k) * (high - low);
}

static double bml_mcmc__indicator_ess(bml_mcmc__bench *b, double limit) {
    for (ptrdiff_t i = 0; i < b->n * b->W; i++)
        b->z[i] = b->x[i] <= limit;
    return bml_mcmc__split_ess(b, b->z);
}

static void bml_mcmc__column_moments(bml_mcmc_summary *out, const bml_mcmc__bench *b) {
    ptrdiff_t n = b->n * b->W;
    double sum2 = 0;
    out->mean = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        out->mean += (b->x[i] - b->x[0]) / (double)n;
    out->mean += b->x[0];
    for (ptrdiff_t i = 0; i < n; i++)
        sum2 += (b->x[i] - out->mean) * (b->x[i] - out->mean);
    out->sd = sqrt(sum2 / (double)(n - 1));
}

/* The column b->x: quantiles, moments, R-hat, ESS, tau. A constant one has no spread to judge: R-hat and tau are
   infinite, the ESS is 0. */
static void bml_mcmc__summarize_column(bml_mcmc_summary *out, bml_mcmc__bench *b) {
    bml_mcmc__column_moments(out, b);
    ptrdiff_t n = bml_mcmc__sort_column(b, b->x);
    out->median = bml_mcmc__sorted_quantile(b->order, n, 0.5);
    out->minus = out->median - bml_mcmc__sorted_quantile(b->order, n, 0.15865525393145705); /* Phi(-1) */
    out->plus = bml_mcmc__sorted_quantile(b->order, n, 0.8413447460685429) - out->median;
    out->tau = out->rhat = BML_MCMC__INF;
    out->ess = out->ess_bulk = out->ess_tail = 0;
    if (b->order[0].value == b->order[n - 1].value) {
        return;
    }
    double low = bml_mcmc__sorted_quantile(b->order, n, 0.05);
    double high = bml_mcmc__sorted_quantile(b->order, n, 0.95);
    ptrdiff_t halves = bml_mcmc__drop_middle(b, n);
    double middle = bml_mcmc__sorted_quantile(b->order, halves, 0.5);
    bml_mcmc__rank_scores(b, halves);
    double bulk = bml_mcmc__split_rhat(b, b->z);
    out->ess_bulk = bml_mcmc__split_ess(b, b->z);
    for (ptrdiff_t i = 0; i < n; i++)
        b->z[i] = fabs(b->x[i] - middle);
    bml_mcmc__sort_column(b, b->z);
    bml_mcmc__rank_scores(b, bml_mcmc__drop_middle(b, n));
    double folded = bml_mcmc__split_rhat(b, b->z);
    out->rhat = folded > bulk ? folded : bulk;
    double left = bml_mcmc__indicator_ess(b, low);
    double right = bml_mcmc__indicator_ess(b, high);
    out->ess_tail = left < right ? left : right;
    out->tau = bml_mcmc__column_tau(b);
    out->ess = (double)n / out->tau;
}

BML_MCMC_DEF int bml_mcmc_summarize(bml_mcmc_summary *out, bml_mcmc_chain chain) {
    bml_mcmc__bench b;
    int status = out ? bml_mcmc__check_chain(&chain) : BML_MCMC_BAD_ARGUMENT;
    if (!status) {
        status = bml_mcmc__bench_make(&b, &chain);
    }
    if (status) return status;
    for (ptrdiff_t k = 0; k < chain.n_dim; k++) {
        bml_mcmc__gather(&b, &chain, k);
        bml_mcmc__summarize_column(out + k, &b);
        int enough = (double)chain.n_steps >= 50 * out[k].tau && out[k].rhat <= BML_MCMC__RHAT_LIMIT;
        if (!enough) {
            status = BML_MCMC_NOT_CONVERGED;
        }
    }
    BML_MCMC_FREE(b.wr);
    return status;
}

BML_MCMC_DEF int bml_mcmc_ensemble_summary(bml_mcmc_ensemble *e, bml_mcmc_summary *out, size_t burn) {
    double worst_tau = 0;
    double worst_rhat = 0;
    if (!e) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    size_t thin = (size_t)e->config.thin;
    bml_mcmc_chain chain = bml_mcmc_chain_drop(bml_mcmc_ensemble_chain(e), burn / thin);
    int status = bml_mcmc_summarize(out, chain);
    if (status != BML_MCMC_OK && status != BML_MCMC_NOT_CONVERGED) {
        return bml_mcmc__fail(e->message, status, "summary of %llu stored steps (8 are needed)",
                              (unsigned long long)chain.n_steps);
    }
    for (int k = 0; k < chain.n_dim; k++) {
        out[k].tau *= e->config.thin;
        worst_tau = out[k].tau > worst_tau ? out[k].tau : worst_tau;
        worst_rhat = out[k].rhat > worst_rhat ? out[k].rhat : worst_rhat;
    }
    e->message[0] = 0;
    if (!status) {
        return status;
    }
    return bml_mcmc__fail(e->message, status,
                          "%llu steps, longest tau %.4g (50 of them are needed), largest R-hat %.4g (%.4g is allowed)",
                          (unsigned long long)(chain.n_steps * thin), worst_tau, worst_rhat, BML_MCMC__RHAT_LIMIT);
}

/* a[n] partly sorted so that a[k] is the k-th smallest and nothing after it is smaller (Hoare 1961). */
static void bml_mcmc__select(double *a, ptrdiff_t n, ptrdiff_t k) {
    ptrdiff_t lo = 0;
    ptrdiff_t hi = n - 1;
    while (lo < hi) {
        double pivot = a[lo + (hi - lo) / 2];
        ptrdiff_t i = lo;
        ptrdiff_t j = hi;
        for (;;) {
            while (a[i] < pivot)
                i++;
            while (pivot < a[j])
                j--;
            if (i >= j) {
                break;
            }
            double swap = a[i];
            a[i++] = a[j];
            a[j--] = swap;
        }
        if (k <= j) {
            hi = j;
        } else {
            lo = j + 1;
        }
    }
}

BML_MCMC_DEF double bml_mcmc_quantile(double *values, size_t n, double q) {
    if (!values || n == 0 || n > PTRDIFF_MAX || !(q >= 0 && q <= 1)) {
        return BML_MCMC__NAN;
    }
    ptrdiff_t length = (ptrdiff_t)n;
    double at = q * (double)(length - 1);
    ptrdiff_t k = (ptrdiff_t)at;
    bml_mcmc__select(values, length, k);
    double low = values[k];
    double high = low;
    for (ptrdiff_t i = k + 1; i < length; i++)
        if (i == k + 1 || values[i] < high) {
            high = values[i];
        }
    return low + (at - (double)k) * (high - low);
}

/* >> verdict
   Every sampler gathers its reasons in one object. A reason that refuses makes the status NOT_CONVERGED; the others are
   what a reader should know. */

#define BML_MCMC__LEAST_ESS 400.0 /* below it neither R-hat nor an ESS is to be trusted (Vehtari et al. 2021, 4.1) */
#define BML_MCMC__EBFMI_LIMIT 0.3 /* Betancourt 2016, arXiv:1604.00695 */
#define BML_MCMC__DIVERGENT_SHARE 1e-3 /* of the trajectories, that may diverge: a handful in thousands is chance */
#define BML_MCMC__WALL_SHARE 0.05      /* of the trajectories, that may end at -infinity */
#define BML_MCMC__DEEP_SHARE 0.25      /* and that may be cut by max_depth */
#define BML_MCMC__EDGE_WIDTH 0.02      /* of the prior, at each of its bounds, */
#define BML_MCMC__EDGE_MASS 0.05       /* and what may lie there */

static void bml_mcmc__verdict_begin(bml_mcmc_verdict *v) {
    memset(v, 0, sizeof *v);
    v->rhat = v->ess_bulk = v->ess_tail = v->e_bfmi = BML_MCMC__NAN;
    v->check_log_z = v->check_log_z_error = v->check_ess = v->check_pareto = BML_MCMC__NAN;
}

/* A new reason, whose text is to be written; the last one is used again when there are too many. */
static bml_mcmc_reason *bml_mcmc__reason(bml_mcmc_verdict *v, int kind, int refuses, int parameter) {
    if (v->n_reasons < BML_MCMC_MAX_REASONS) {
        v->n_reasons++;
    }
    bml_mcmc_reason *r = &v->reason[v->n_reasons - 1];
    memset(r, 0, sizeof *r);
    r->kind = kind;
    r->refuses = refuses;
    r->parameter = parameter;
    if (refuses) {
        v->status = BML_MCMC_NOT_CONVERGED;
    }
    return r;
}

#if !defined(BML_MCMC_NO_NESTED) || !defined(BML_MCMC_NO_NUTS) || !defined(BML_MCMC_NO_IMPORTANCE)
/* One sentence with two numbers, which the reason keeps too. */
static void bml_mcmc__add_reason(bml_mcmc_verdict *v, int kind, int refuses, const char *format, double value,
                                 double limit) {
    bml_mcmc_reason *r = bml_mcmc__reason(v, kind, refuses, -1);
    char text[BML_MCMC_MESSAGE];
    r->value = value;
    r->limit = limit;
    bml_mcmc__fail(text, 0, "%s %.4g (limit %.4g)", format, value, limit);
    memcpy(r->text, text, sizeof r->text - 1);
}
#endif

#if !defined(BML_MCMC_NO_NESTED) || !defined(BML_MCMC_NO_IMPORTANCE)
enum { BML_MCMC__PARETO_GRID = 100 };
#define BML_MCMC__CHECK_PARETO 0.7 /* shape of the largest weights: beyond it their mean has no error worth the name */

/* Its shape for a given b = -k/sigma. */
static double bml_mcmc__pareto_k(const double *x, ptrdiff_t m, double b) {
    double k = 0;
    for (ptrdiff_t i = 0; i < m; i++)
        k += log1p(-b * x[i]) / (double)m;
    return k;
}

/* Shape k of the generalised Pareto distribution of the largest weights, as exceedances (Zhang & Stephens 2009,
   Technometrics 51, 316), drawn towards 1/2 as by ten more (Vehtari et al. 2024, JMLR 25, 72, Pareto smoothed
   importance sampling): the weights have 1/k finite moments. Sorts log_weight[n]. Infinite for fewer than 25 weights.
   */
static double bml_mcmc__pareto_shape(double *log_weight, ptrdiff_t n) {
    double work[BML_MCMC__PARETO_GRID];
    ptrdiff_t m = (ptrdiff_t)fmin(0.2 * (double)n, 3 * sqrt((double)n));
    if (m < 5) {
        return BML_MCMC__INF;
    }
    bml_mcmc__sort_doubles(log_weight, n);
    double top = log_weight[n - 1];
    double cut = exp(log_weight[n - 1 - m] - top);
    double *x = log_weight + n - m; /* exceedances take the place of the largest */
    for (ptrdiff_t i = 0; i < m; i++)
        x[i] = exp(x[i] - top) - cut;
    double quartile = x[(ptrdiff_t)(0.25 * (double)m + 0.5) - 1];
    if (!(quartile > 0)) {
        return 0; /* a plateau */
    }
    int grid = (int)fmin(30 + sqrt((double)m), BML_MCMC__PARETO_GRID);
    double best = 0;
    for (int j = 0; j < grid; j++) {
        double b = 1 / x[m - 1] + (1 - sqrt(grid / (j + 0.5))) / (3 * quartile);
        double k = bml_mcmc__pareto_k(x, m, b);
        work[j] = (double)m * (log(-b / k) - k - 1);
    }
    bml_mcmc__softmax(work, grid);
    for (int j = 0; j < grid; j++)
        best += work[j] * (1 / x[m - 1] + (1 - sqrt(grid / (j + 0.5))) / (3 * quartile));
    return (bml_mcmc__pareto_k(x, m, best) * (double)m + 5) / ((double)m + 10);
}

#endif

/* "gamma_max" or "parameter 3". */
static const char *bml_mcmc__name(char *text, const char *const *names, ptrdiff_t k) {
    if (names && names[k]) {
        return names[k];
    }
    snprintf(text, 32, "parameter %d", (int)k);
    return text;
}

/* Number k of d values is beyond `limit`, and the worst of those that are: one sentence for them all. `above`: too
   large, else too small. */
static void bml_mcmc__say_worst(bml_mcmc_verdict *v, int kind, const char *what, const double *value, ptrdiff_t d,
                                double limit, int above, const char *const *names) {
    char number[32];
    char text[BML_MCMC_MESSAGE];
    ptrdiff_t worst = -1;
    int others = -1;
    for (ptrdiff_t k = 0; k < d; k++) {
        int good = above ? value[k] <= limit : value[k] >= limit;
        if (good) {
            continue;
        }
        others++;
        int worse = worst < 0 || (above ? value[k] > value[worst] : value[k] < value[worst]);
        if (worse) {
            worst = k;
        }
    }
    if (worst < 0) {
        return;
    }
    bml_mcmc_reason *r = bml_mcmc__reason(v, kind, 1, (int)worst);
    r->value = value[worst];
    r->limit = limit;
    bml_mcmc__fail(text, 0, "%s of %.100s is %.4g (%s %.4g)", what, bml_mcmc__name(number, names, worst), value[worst],
                   above ? "allowed are" : "needed are", limit);
    size_t used = strlen(text);
    if (others > 0) {
        snprintf(text + used, sizeof text - used, "; of %d more too", others);
    }
    memcpy(r->text, text, sizeof r->text - 1);
}

/* What the summaries of n_steps steps say, in scratch[d]. Constant parameters are named and then left alone. */
static void bml_mcmc__judge_summaries(bml_mcmc_verdict *v, const bml_mcmc_summary *s, double *scratch, ptrdiff_t d,
                                      double n_steps, const char *const *names) {
    char number[32];
    for (ptrdiff_t k = 0; k < d; k++) {
        if (s[k].sd > 0 && s[k].rhat < BML_MCMC__INF) {
            continue;
        }
        bml_mcmc_reason *r = bml_mcmc__reason(v, BML_MCMC_REASON_CONSTANT, 1, (int)k);
        r->value = s[k].mean;
        snprintf(r->text, sizeof r->text, "%.100s never changed: it is %.6g in the whole chain, or in each walker",
                 bml_mcmc__name(number, names, k), s[k].mean);
        bml_mcmc__mend_commas(r->text);
    }
    for (ptrdiff_t k = 0; k < d; k++)
        scratch[k] = s[k].rhat < BML_MCMC__INF ? s[k].rhat : 1;
    bml_mcmc__say_worst(v, BML_MCMC_REASON_RHAT, "R-hat", scratch, d, BML_MCMC__RHAT_LIMIT, 1, names);
    for (ptrdiff_t k = 0; k < d; k++)
        scratch[k] = s[k].rhat < BML_MCMC__INF ? s[k].ess_bulk : BML_MCMC__LEAST_ESS;
    bml_mcmc__say_worst(v, BML_MCMC_REASON_ESS, "the bulk ESS", scratch, d, BML_MCMC__LEAST_ESS, 0, names);
    for (ptrdiff_t k = 0; k < d; k++)
        scratch[k] = s[k].rhat < BML_MCMC__INF ? s[k].ess_tail : BML_MCMC__LEAST_ESS;
    bml_mcmc__say_worst(v, BML_MCMC_REASON_ESS, "the tail ESS", scratch, d, BML_MCMC__LEAST_ESS, 0, names);
    for (ptrdiff_t k = 0; k < d; k++)
        scratch[k] = s[k].rhat < BML_MCMC__INF ? n_steps / s[k].tau : 50;
    bml_mcmc__say_worst(v, BML_MCMC_REASON_SHORT, "the length in autocorrelation times", scratch, d, 50, 0, names);
    v->rhat = 0;
    v->ess_bulk = v->ess_tail = BML_MCMC__INF;
    for (ptrdiff_t k = 0; k < d; k++) {
        v->rhat = s[k].rhat > v->rhat ? s[k].rhat : v->rhat;
        v->ess_bulk = s[k].ess_bulk < v->ess_bulk ? s[k].ess_bulk : v->ess_bulk;
        v->ess_tail = s[k].ess_tail < v->ess_tail ? s[k].ess_tail : v->ess_tail;
    }
}

/* Adds a chain's reasons. BAD_ARGUMENT, NO_MEMORY. */
static int bml_mcmc__judge_chain(bml_mcmc_verdict *v, const bml_mcmc_chain *chain, const char *const *names) {
    ptrdiff_t d = chain->n_dim > 0 ? chain->n_dim : 0;
    ptrdiff_t room = bml_mcmc__room(d, sizeof(bml_mcmc_summary));
    double *block = bml_mcmc__doubles(room + d, 1);
    if (!block) {
        return BML_MCMC_NO_MEMORY;
    }
    bml_mcmc_summary *s = (bml_mcmc_summary *)block;
    int status = bml_mcmc_summarize(s, *chain);
    if (status == BML_MCMC_NOT_CONVERGED) {
        status = BML_MCMC_OK;
    }
    if (!status) {
        bml_mcmc__judge_summaries(v, s, block + room, d, (double)chain->n_steps, names);
    }
    BML_MCMC_FREE(block);
    return status;
}

/* Where theta[i] lies in its prior, between its bounds there, as a fraction of its mass; NaN outside. */
static double bml_mcmc__prior_place(const bml_mcmc_prior *prior, ptrdiff_t i, const double *theta) {
    double lo;
    double hi;
    if (!bml_mcmc__limits(prior, i, theta, &lo, &hi)) {
        return BML_MCMC__NAN;
    }
    if (!(theta[i] >= lo && theta[i] <= hi)) {
        return BML_MCMC__NAN;
    }
    return bml_mcmc__base_u(prior, i, lo, hi, theta[i]);
}

/* Parameter k has mass[0] of the posterior at its lower bound and mass[1] at its upper one. */
static void bml_mcmc__say_edges(bml_mcmc_verdict *v, ptrdiff_t k, const double *mass, const char *const *names) {
    char number[32];
    for (int side = 0; side < 2; side++) {
        if (!(mass[side] > BML_MCMC__EDGE_MASS)) {
            continue;
        }
        bml_mcmc_reason *r = bml_mcmc__reason(v, BML_MCMC_REASON_EDGE, 0, (int)k);
        r->value = mass[side];
        r->limit = BML_MCMC__EDGE_MASS;
        snprintf(
            r->text, sizeof r->text, "%.100s: %.0f %% of the posterior lies within %.0f %% of the prior's %s bound",
            bml_mcmc__name(number, names, k), 100 * mass[side], 100 * BML_MCMC__EDGE_WIDTH, side ? "upper" : "lower");
    }
}

/* A chain against the bounds of a prior, infinite ones left out. */
static void bml_mcmc__judge_edges(bml_mcmc_verdict *v, const bml_mcmc_chain *c, const bml_mcmc_prior *prior,
                                  const char *const *names) {
    ptrdiff_t rows = (ptrdiff_t)c->n_steps * c->n_walkers;
    for (ptrdiff_t k = 0; prior && k < c->n_dim; k++) {
        double mass[2] = {0, 0};
        for (ptrdiff_t i = 0; i < rows; i++) {
            double place = bml_mcmc__prior_place(prior, k, c->theta + i * c->n_dim);
            mass[0] += (place < BML_MCMC__EDGE_WIDTH) / (double)rows;
            mass[1] += (place > 1 - BML_MCMC__EDGE_WIDTH) / (double)rows;
        }
        if (!bml_mcmc__is_finite(prior->param[k].lower)) {
            mass[0] = 0;
        }
        if (!bml_mcmc__is_finite(prior->param[k].upper)) {
            mass[1] = 0;
        }
        bml_mcmc__say_edges(v, k, mass, names);
    }
}

static void bml_mcmc__say_nans(bml_mcmc_verdict *v, uint64_t nans) {
    if (!nans) {
        return;
    }
    bml_mcmc_reason *r = bml_mcmc__reason(v, BML_MCMC_REASON_NAN, 0, -1);
    r->value = (double)nans;
    snprintf(r->text, sizeof r->text, "the log-probability was NaN at %.0f points, which were taken for impossible",
             (double)nans);
}

BML_MCMC_DEF int bml_mcmc_chain_verdict(bml_mcmc_verdict *v, bml_mcmc_chain chain, const char *const *names) {
    if (!v) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    bml_mcmc__verdict_begin(v);
    int status = bml_mcmc__judge_chain(v, &chain, names);
    if (status) {
        v->status = status;
    }
    return v->status;
}

BML_MCMC_DEF int bml_mcmc_ensemble_verdict(bml_mcmc_verdict *v, bml_mcmc_ensemble *e, size_t burn) {
    if (!v || !e) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    const bml_mcmc_config *c = &e->config;
    bml_mcmc__verdict_begin(v);
    v->burn = burn;
    bml_mcmc_chain chain = bml_mcmc_chain_drop(bml_mcmc_ensemble_chain(e), burn / (size_t)c->thin);
    v->status = bml_mcmc__judge_chain(v, &chain, c->names);
    if (v->status) {
        return bml_mcmc__fail(e->message, v->status, "verdict on %llu stored steps (8 are needed)",
                              (unsigned long long)chain.n_steps);
    }
    for (int i = 0; i < v->n_reasons; i++)
        if (v->reason[i].refuses) {
            v->status = BML_MCMC_NOT_CONVERGED;
        }
    bml_mcmc__judge_edges(v, &chain, c->prior, c->names);
    bml_mcmc__say_nans(v, e->nans);
    e->message[0] = 0;
    return v->status;
}

/* >> run until
   Rounds of steps, each judged after a burn-in found from the chain; in between, walkers that are stuck are put beside
   others. The chain begins anew when that has happened, so that nothing of the rescue stays in it. */

enum { BML_MCMC__BLOCKS = 20 };
#define BML_MCMC__FIRST_ROUND 200
enum { BML_MCMC__LEAST_STEPS = 8 }; /* of a verdict */
enum { BML_MCMC__RESCUE_TRIES = 20 };

typedef struct bml_mcmc__search {
    bml_mcmc_goal goal;
    uint64_t last; /* the step to stop at */
} bml_mcmc__search;

/* The mean over walkers of block b of quantity k (k = n_dim: the log-probability). */
static double bml_mcmc__ensemble_block_mean(const bml_mcmc_ensemble *e, ptrdiff_t b, ptrdiff_t k) {
    ptrdiff_t first = b * e->stored / BML_MCMC__BLOCKS * e->W;
    ptrdiff_t next = (b + 1) * e->stored / BML_MCMC__BLOCKS * e->W;
    double sum = 0;
    for (ptrdiff_t i = first; i < next; i++)
        sum += k < e->d ? e->chain[i * e->d + k] : e->chain_log_prob[i];
    return sum / (double)(next - first);
}

/* The first stored step from which on all blocks' means agree with those of the second half, within 4 of their standard
   deviations; a twentieth of the chain at least, half of it at most. */
static ptrdiff_t bml_mcmc__ensemble_find_burn(const bml_mcmc_ensemble *e) {
    const ptrdiff_t half = BML_MCMC__BLOCKS / 2;
    ptrdiff_t burn = 1;
    if (e->stored < BML_MCMC__BLOCKS) {
        return e->stored / 2;
    }
    for (ptrdiff_t k = 0; k <= e->d; k++) {
        double mean[BML_MCMC__BLOCKS];
        double sum = 0;
        double sum2 = 0;
        for (ptrdiff_t b = 0; b < BML_MCMC__BLOCKS; b++)
            mean[b] = bml_mcmc__ensemble_block_mean(e, b, k);
        for (ptrdiff_t b = half; b < BML_MCMC__BLOCKS; b++)
            sum += mean[b] / (double)half;
        for (ptrdiff_t b = half; b < BML_MCMC__BLOCKS; b++)
            sum2 += (mean[b] - sum) * (mean[b] - sum) / (double)(half - 1);
        ptrdiff_t b = half;
        while (b > burn && fabs(mean[b - 1] - sum) <= 4 * sqrt(sum2))
            b--;
        burn = b > burn ? b : burn;
    }
    return burn * e->stored / BML_MCMC__BLOCKS;
}

/* walkers[W] = what each walker's log-probability was at most over the second half of the chain; *middle, *width of
   those half of all walkers that are higher. */
static int bml_mcmc__ensemble_heights(const bml_mcmc_ensemble *e, double *best, double *middle, double *width) {
    ptrdiff_t first = e->stored / 2;
    ptrdiff_t n = e->stored - first;
    ptrdiff_t W = e->W;
    bml_mcmc__key *order = (bml_mcmc__key *)bml_mcmc__doubles(bml_mcmc__room(W, sizeof *order), 1);
    double *pool = bml_mcmc__doubles(n, W / 2);
    if (order && pool) {
        for (ptrdiff_t w = 0; w < W; w++) {
            best[w] = -BML_MCMC__INF;
            for (ptrdiff_t t = first; t < e->stored; t++) {
                double l = e->chain_log_prob[t * W + w];
                best[w] = l > best[w] ? l : best[w];
            }
            order[w].value = best[w];
            order[w].index = w;
        }
        bml_mcmc__sort_keys(order, W);
        for (ptrdiff_t i = 0; i < W / 2; i++)
            for (ptrdiff_t t = 0; t < n; t++)
                pool[i * n + t] = e->chain_log_prob[(first + t) * W + order[W - 1 - i].index];
        *middle = bml_mcmc_quantile(pool, (size_t)(n * (W / 2)), 0.5);
        *width = *middle - bml_mcmc_quantile(pool, (size_t)(n * (W / 2)), 0.05);
    }
    int status = order && pool ? BML_MCMC_OK : BML_MCMC_NO_MEMORY;
    BML_MCMC_FREE(order);
    BML_MCMC_FREE(pool);
    return status;
}

/* A place for walker w near the others: c1 + g (c2 - c3) of walkers that are not stuck, where the log-probability is
   above `least`. 0: none was found. */
static int bml_mcmc__ensemble_rescue(bml_mcmc_ensemble *e, ptrdiff_t w, const double *best, double least, int *status) {
    ptrdiff_t d = e->d;
    bml_mcmc_rng rng = bml_mcmc__numbered_stream(e->config.seed, BML_MCMC__RESCUE_STREAM, e->step);
    rng.counter[0] = (uint32_t)w << 16;
    for (int try_number = 0; try_number < BML_MCMC__RESCUE_TRIES; try_number++) {
        ptrdiff_t c[3];
        for (int i = 0; i < 3; i++)
            do {
                c[i] = bml_mcmc__below(&rng, e->W);
            } while (!(best[c[i]] >= least));
        if (c[1] == c[2]) {
            continue;
        }
        double g = 0.5 / (1 + try_number);
        for (ptrdiff_t k = 0; k < d; k++)
            e->proposal[k] = e->theta[c[0] * d + k] + g * (e->theta[c[1] * d + k] - e->theta[c[2] * d + k]);
        int name = (int)w;
        *status = bml_mcmc__ensemble_evaluate(e, e->proposal_log_prob, e->proposal_derived, e->proposal, 1, &name);
        if (*status) {
            return 0;
        }
        e->evaluations++;
        if (!(e->proposal_log_prob[0] >= least)) {
            continue;
        }
        bml_mcmc__copy(e->theta + w * d, e->proposal, d);
        bml_mcmc__copy(e->derived + w * e->K, e->proposal_derived, e->K);
        e->log_prob[w] = e->proposal_log_prob[0];
        return 1;
    }
    return 0;
}

/* Finds the walkers that stay far below the others, in the whole second half of the chain, and moves them. *moved: how
   many; a third of all at most, for more would be a mode. */
static int bml_mcmc__ensemble_rescue_stuck(bml_mcmc_ensemble *e, ptrdiff_t *moved) {
    double middle;
    double width;
    double *best = e->log_u; /* [W], free between steps */
    *moved = 0;
    int status = bml_mcmc__ensemble_heights(e, best, &middle, &width);
    if (status) {
        return bml_mcmc__fail(e->message, status, "out of memory");
    }
    double least = middle - 4 * width - 1;
    ptrdiff_t low = 0;
    for (ptrdiff_t w = 0; w < e->W; w++)
        low += !(best[w] >= least);
    if (low > e->W / 3) {
        return BML_MCMC_OK;
    }
    for (ptrdiff_t w = 0; w < e->W && low; w++) {
        if (best[w] >= least || !bml_mcmc__ensemble_rescue(e, w, best, least, &status)) {
            continue;
        }
        if (e->rescue_gap == 0) {
            e->rescue_gap = middle - best[w];
        }
        e->rescued[w]++;
        ++*moved;
    }
    return status;
}

/* The length at which a chain of `stored` steps is judged next: a quarter longer than at the last time, and FIRST_ROUND
   at least. */
static ptrdiff_t bml_mcmc__next_length(ptrdiff_t stored) {
    ptrdiff_t length = BML_MCMC__FIRST_ROUND;
    while (length <= stored)
        length += length / 4 > BML_MCMC__FIRST_ROUND ? length / 4 : BML_MCMC__FIRST_ROUND;
    return length;
}

/* Steps until then, or until the last. */
static uint64_t bml_mcmc__ensemble_next_round(const bml_mcmc_ensemble *e, const bml_mcmc__search *s) {
    const uint64_t thin = (uint64_t)e->config.thin;
    uint64_t steps = (uint64_t)(bml_mcmc__next_length(e->stored) - e->stored) * thin - e->step % thin;
    uint64_t left = s->last - e->step;
    return steps < left ? steps : left;
}

/* The walkers that were rescued, in this call or in one before it, since the start. */
static void bml_mcmc__say_rescued(bml_mcmc_verdict *v, const bml_mcmc_ensemble *e) {
    char number[100] = "";
    double rescued = 0;
    size_t used = 0;
    for (ptrdiff_t w = 0; w < e->W; w++) {
        if (!e->rescued[w]) {
            continue;
        }
        rescued += (double)e->rescued[w];
        if (used + 16 < sizeof number) {
            used += (size_t)snprintf(number + used, sizeof number - used, "%s%d", used ? ", " : "", (int)w);
        }
    }
    if (rescued == 0) {
        return;
    }
    bml_mcmc_reason *r = bml_mcmc__reason(v, BML_MCMC_REASON_STUCK, 0, -1);
    r->value = rescued;
    r->limit = e->rescue_gap;
    snprintf(r->text, sizeof r->text,
             "%.0f walkers were stuck, %.4g below the others in log-probability, and were put beside them before this "
             "chain began: number %s",
             rescued, e->rescue_gap, number);
    bml_mcmc__mend_commas(r->text);
}

/* Steps to leave out: as the goal says, or as the chain does. */
static size_t bml_mcmc__ensemble_burn(const bml_mcmc_ensemble *e, const bml_mcmc_goal *goal) {
    if (goal->burn > 0) {
        return (size_t)goal->burn;
    }
    return (size_t)bml_mcmc__ensemble_find_burn(e) * (size_t)e->config.thin;
}

/* The chain so far, judged; *done: the goal is reached. */
static int bml_mcmc__ensemble_judge_round(bml_mcmc_ensemble *e, bml_mcmc_verdict *v, const bml_mcmc__search *s,
                                          int *done) {
    size_t burn = bml_mcmc__ensemble_burn(e, &s->goal);
    ptrdiff_t judged = e->stored - (ptrdiff_t)(burn / (size_t)e->config.thin);
    if (judged < (e->step < s->last ? BML_MCMC__FIRST_ROUND / 2 : BML_MCMC__LEAST_STEPS)) {
        return BML_MCMC_OK;
    }
    int status = bml_mcmc_ensemble_verdict(v, e, burn);
    bml_mcmc__say_rescued(v, e);
    *done = status == BML_MCMC_OK && v->ess_bulk >= s->goal.ess && v->ess_tail >= s->goal.ess;
    return status == BML_MCMC_NOT_CONVERGED ? BML_MCMC_OK : status;
}

/* A round's end: stuck walkers are put beside others and the chain begins anew, or the chain is judged. */
static int bml_mcmc__ensemble_end_round(bml_mcmc_ensemble *e, bml_mcmc_verdict *v, bml_mcmc__search *s, int *done) {
    ptrdiff_t moved = 0;
    int status = BML_MCMC_OK;
    if (!s->goal.keep_stuck && e->stored >= BML_MCMC__FIRST_ROUND / 2 && e->step < s->last) {
        status = bml_mcmc__ensemble_rescue_stuck(e, &moved);
    }
    if (moved) {
        bml_mcmc_ensemble_clear(e);
    }
    return status || moved ? status : bml_mcmc__ensemble_judge_round(e, v, s, done);
}

BML_MCMC_DEF int bml_mcmc_run_until(bml_mcmc_ensemble *e, bml_mcmc_verdict *v, const bml_mcmc_goal *goal) {
    static const bml_mcmc__rule rules[3] = {
        {"ess", offsetof(bml_mcmc_goal, ess), BML_MCMC__REAL, 1, 1e12, 1000},
        {"steps", offsetof(bml_mcmc_goal, steps), BML_MCMC__REAL, -1, 1e15, 100000},
        {"burn", offsetof(bml_mcmc_goal, burn), BML_MCMC__REAL, 0, 1e15, 0},
    };
    bml_mcmc__search s;
    int done = 0;
    if (!e || !v) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    memset(&s, 0, sizeof s);
    bml_mcmc__verdict_begin(v);
    if (goal) {
        s.goal = *goal;
    }
    int status = bml_mcmc__apply_rules(&s.goal, rules, 3, e->message);
    if (status) {
        return v->status = status;
    }
    s.last = e->step + (uint64_t)fmax(s.goal.steps, 0);
    int due = e->step == s.last || bml_mcmc__next_length(e->stored - 1) == e->stored; /* it was cancelled there */
    for (;;) {
        if (due) {
            status = bml_mcmc__ensemble_end_round(e, v, &s, &done);
        }
        if (status || done || e->step >= s.last) {
            break;
        }
        status = bml_mcmc_run(e, (size_t)bml_mcmc__ensemble_next_round(e, &s));
        if (status) {
            break;
        }
        due = 1;
    }
    if (status || done) {
        return v->status = status;
    }
    bml_mcmc_reason *r = bml_mcmc__reason(v, BML_MCMC_REASON_UNFINISHED, 1, -1);
    r->value = s.goal.steps;
    snprintf(r->text, sizeof r->text, "the wanted %.0f effective samples were not reached in %.0f steps", s.goal.ess,
             s.goal.steps);
    return bml_mcmc__fail(e->message, v->status, "%s", r->text);
}

#ifndef BML_MCMC_NO_NESTED
/* >> nested sampling: points
   A point is one row: its place in the cube, its parameters, and the five numbers below. The threshold above which it
   was drawn, its birth, says when it was live; everything that is known about volumes follows from births and
   likelihoods, so that static and dynamic runs, plateaus and rounds of any size need no accounting of their own.
   A likelihood of -infinity is kept as -DBL_MAX, which is above -INFINITY, the birth of draws from the whole prior.
   Lists of the live points and of those known to lie above the threshold follow it upwards, so that a round costs what
   it changes and not what has been collected before. */

enum { BML_MCMC__LOG_L, BML_MCMC__BIRTH, BML_MCMC__TIE, BML_MCMC__RANK, BML_MCMC__LIVE, BML_MCMC__EXTRA };
enum { BML_MCMC__MAX_SWEEPS = 32 };
enum { BML_MCMC__JUMPS = 500 };   /* slices between two looks at their memory */
enum { BML_MCMC__SHRINKS = 200 }; /* of one slice */
enum { BML_MCMC__MAX_GAPS = 64 }; /* groups told apart by gaps */
#define BML_MCMC__SIMULATIONS 200 /* of the shrinkages, for the error of ln Z; in sums of reals too */
enum { BML_MCMC__PLAN = 32 };     /* steps of a pass's expected error */

/* What a saved state holds beside the points: words of 8 bytes each: integers, then reals. */
typedef struct bml_mcmc__nested_state {
    uint64_t round;
    uint64_t evaluations;
    uint64_t slice_evaluations;
    uint64_t pass;
    uint64_t pass_over;
    uint64_t method;
    uint64_t sweeps;
    uint64_t jumps;
    uint64_t slice_chains;
    uint64_t slice_calls;
    uint64_t n_points;
    uint64_t sweeps_before;  /* the last growth was from here; 0: none */
    uint64_t sweeps_settled; /* more did not help */
    uint64_t nans;
    double threshold; /* above which the live points of this pass are uniform */
    double low;       /* this pass runs from here */
    double high;      /* to there */
    double log_x;     /* of the first pass, by expectation */
    double log_z;
    double information;
    double remaining;
    double efficiency;
    double correlation;        /* of new points with their start, last measured */
    double correlation_before; /* with sweeps_before */
    double probes;
    double probe_hits;
    double plan_log_l[BML_MCMC__PLAN]; /* of a dynamic pass: at these thresholds */
    double plan_error[BML_MCMC__PLAN]; /* ln Z has this error */
} bml_mcmc__nested_state;

/* The region: where points above a threshold may be, from those that are known. Coordinates x are the cube's, wrapped
   ones shifted by cut. */
typedef struct bml_mcmc__region {
    ptrdiff_t n;
    ptrdiff_t d;
    ptrdiff_t n_clusters;
    ptrdiff_t most;     /* room for so many points */
    ptrdiff_t room;     /* and clusters */
    int shape;          /* what is drawn from: cube, ellipsoids, balls */
    ptrdiff_t *index;   /* [n] the points */
    double *x;          /* [n][d] place */
    double *y;          /* [n][d] A x, in which clusters have unit covariance */
    int *label;         /* [n] cluster */
    int *group;         /* [n] what gaps tell apart */
    int *queue;         /* [n] scratch */
    double *sorted;     /* [n + 1] scratch */
    bml_mcmc__key *key; /* [n] scratch */
    double *cut;        /* [d] */
    double *L;          /* [d][d] pooled covariance L L^T */
    double *A;          /* [d][d] 1/L */
    double radius;      /* of the balls, in y */
    double *clusters;   /* one block of: */
    double *mean;       /* [n_clusters][d] */
    double *EL;         /* [n_clusters][d][d]; x = mean + EL z, |z| <= 1 is an ellipsoid */
    double *EA;         /* [n_clusters][d][d] 1/EL */
    double *spread;     /* [n_clusters] radius in sd */
    double *weight;     /* [n_clusters] share of the volume */
    double *scratch;    /* [4][d] */
} bml_mcmc__region;

struct bml_mcmc_nested {
    bml_mcmc_nested_config config;
    ptrdiff_t d;
    ptrdiff_t K;   /* live_points */
    ptrdiff_t row; /* doubles of a point */
    int *wrapped;  /* [d] */
    int forgive;   /* the last run stopped at NaN or +infinity: the next round takes it for -infinity */
    bml_mcmc__nested_state now;
    double *point; /* [capacity][row] */
    double *jump;  /* [d + 1] squared moves of new points from their start, summed */
    double *jump_before;
    ptrdiff_t capacity;
    ptrdiff_t fresh; /* points of the round under way, after now.n_points */
    int lists_good;  /* do the lists below belong to now.threshold? */
    ptrdiff_t *live; /* [n_live] in the order of their birth, as below */
    ptrdiff_t n_live;
    ptrdiff_t *known; /* [n_known] born at or below the threshold, and above it */
    ptrdiff_t n_known;
    bml_mcmc__key *waiting; /* [n_waiting] born above the threshold, the lowest last */
    ptrdiff_t n_waiting;
    bml_mcmc__key *order; /* [n_order] live points, or all, sorted */
    ptrdiff_t n_order;
    double *trial;       /* one block of: */
    double *trial_cube;  /* [trials][d] */
    double *trial_theta; /* [trials][d] */
    double *trial_log_l; /* [trials] */
    ptrdiff_t trials;
    bml_mcmc__region region;
    bml_mcmc_nested_progress report; /* of the last whole round */
    double *sorted;                  /* result: [n][d + 5] theta, log L, weight; scratch */
    ptrdiff_t sorted_n;
    double *other; /* [sorted_n] log L that the result is to be weighed by; NULL: the run's own */
    char message[BML_MCMC_MESSAGE];
};

static double *bml_mcmc__nested_point(const bml_mcmc_nested *s, ptrdiff_t i) {
    return s->point + i * s->row;
}

static double *bml_mcmc__nested_value(const bml_mcmc_nested *s, ptrdiff_t i, int which) {
    return s->point + i * s->row + 2 * s->d + which;
}

static double bml_mcmc__nested_log_l(const bml_mcmc_nested *s, ptrdiff_t i) {
    return *bml_mcmc__nested_value(s, i, BML_MCMC__LOG_L);
}

static ptrdiff_t bml_mcmc__nested_n_points(const bml_mcmc_nested *s) {
    return (ptrdiff_t)s->now.n_points;
}

/* s->order[n] = these points, or (index = NULL) the first n of all, from the worst to the best. */
static void bml_mcmc__nested_sort_points(bml_mcmc_nested *s, const ptrdiff_t *index, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) {
        bml_mcmc__key *key = s->order + i;
        key->index = index ? index[i] : i;
        key->value = bml_mcmc__nested_log_l(s, key->index);
        key->tie = *bml_mcmc__nested_value(s, key->index, BML_MCMC__TIE);
    }
    s->n_order = n;
    bml_mcmc__sort_keys(s->order, n);
}

/* The lists from the points themselves: after a load, a failed round, and when a pass begins. */
static void bml_mcmc__nested_make_lists(bml_mcmc_nested *s) {
    double t = s->now.threshold;
    s->n_live = s->n_known = s->n_waiting = 0;
    for (ptrdiff_t i = 0; i < bml_mcmc__nested_n_points(s); i++) {
        double log_l = bml_mcmc__nested_log_l(s, i);
        double birth = *bml_mcmc__nested_value(s, i, BML_MCMC__BIRTH);
        if (*bml_mcmc__nested_value(s, i, BML_MCMC__LIVE) != 0) {
            s->live[s->n_live++] = i;
        }
        if (!(log_l > t)) {
            continue;
        }
        if (birth <= t) {
            s->known[s->n_known++] = i;
            continue;
        }
        bml_mcmc__key *key = &s->waiting[s->n_waiting++];
        key->value = -birth;
        key->tie = 0;
        key->index = i;
    }
    bml_mcmc__sort_keys(s->waiting, s->n_waiting);
    s->lists_good = 1;
}

/* The threshold rises to t: points die out of `known`, waiting ones come in, in the order of their numbers. */
static void bml_mcmc__nested_raise_lists(bml_mcmc_nested *s, double t) {
    ptrdiff_t kept = 0;
    for (ptrdiff_t i = 0; i < s->n_known; i++)
        if (bml_mcmc__nested_log_l(s, s->known[i]) > t) {
            s->known[kept++] = s->known[i];
        }
    s->n_known = kept;
    while (s->n_waiting && -s->waiting[s->n_waiting - 1].value <= t) {
        ptrdiff_t index = s->waiting[--s->n_waiting].index;
        if (!(bml_mcmc__nested_log_l(s, index) > t)) {
            continue;
        }
        ptrdiff_t at = s->n_known++;
        for (; at > 0 && s->known[at - 1] > index; at--)
            s->known[at] = s->known[at - 1];
        s->known[at] = index;
    }
}

/* A whole round is over: the dead leave the live points, its new points join both lists. */
static void bml_mcmc__nested_renew_lists(bml_mcmc_nested *s) {
    ptrdiff_t kept = 0;
    for (ptrdiff_t i = 0; i < s->n_live; i++)
        if (*bml_mcmc__nested_value(s, s->live[i], BML_MCMC__LIVE) != 0) {
            s->live[kept++] = s->live[i];
        }
    s->n_live = kept;
    for (ptrdiff_t i = 0; i < s->fresh; i++) {
        s->live[s->n_live++] = bml_mcmc__nested_n_points(s) + i;
        s->known[s->n_known++] = bml_mcmc__nested_n_points(s) + i;
    }
}

static int bml_mcmc__nested_trials(bml_mcmc_nested *s, ptrdiff_t n) {
    if (n <= s->trials) {
        return BML_MCMC_OK;
    }
    BML_MCMC_FREE(s->trial);
    s->trials = 0;
    s->trial = bml_mcmc__doubles(n, 2 * s->d + 1);
    if (!s->trial) {
        return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "%lld trial points", (long long)n);
    }
    s->trial_cube = s->trial;
    s->trial_theta = s->trial_cube + n * s->d;
    s->trial_log_l = s->trial_theta + n * s->d;
    s->trials = n;
    return BML_MCMC_OK;
}

/* Parameters of the first n trial points. */
static int bml_mcmc__nested_transform_trials(bml_mcmc_nested *s, ptrdiff_t n) {
    const bml_mcmc_nested_config *c = &s->config;
    ptrdiff_t d = s->d;
    bml_mcmc__fill(s->trial_theta, BML_MCMC__NAN, n * d); /* what a callback leaves out is found */
    for (ptrdiff_t i = 0; c->prior && i < n; i++) {
        int status = bml_mcmc_prior_transform(c->prior, s->trial_theta + i * d, s->trial_cube + i * d);
        if (!status) {
            continue;
        }
        bml_mcmc__fail(s->message, status, "the prior, at cube point");
        bml_mcmc__append_point(s->message, s->trial_cube + i * d, d);
        return status;
    }
    if (!c->prior && c->transform(s->trial_theta, s->trial_cube, (int)n, (int)d, c->user)) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_TRANSFORM, "transform says that it failed");
    }
    for (ptrdiff_t i = 0; i < n * d; i++) {
        if (bml_mcmc__is_finite(s->trial_theta[i])) {
            continue;
        }
        bml_mcmc__fail(s->message, BML_MCMC_BAD_TRANSFORM, "parameter %d is not finite at cube point", (int)(i % d));
        bml_mcmc__append_point(s->message, s->trial_cube + i / d * d, d);
        return BML_MCMC_BAD_TRANSFORM;
    }
    return BML_MCMC_OK;
}

/* Parameters and likelihoods of the first n trial points. */
static int bml_mcmc__nested_try(bml_mcmc_nested *s, ptrdiff_t n) {
    const bml_mcmc_nested_config *c = &s->config;
    int status = bml_mcmc__nested_transform_trials(s, n);
    if (status) return status;
    bml_mcmc__fill(s->trial_log_l, BML_MCMC__NAN, n);
    c->log_likelihood(s->trial_log_l, s->trial_theta, (int)n, (int)s->d, c->user);
    for (ptrdiff_t i = 0; i < n; i++) {
        double *l = s->trial_log_l + i;
        int wrong = bml_mcmc__judge(*l);
        int rejected = s->forgive || (wrong == BML_MCMC_NAN && c->nan_policy == BML_MCMC_NAN_REJECTED);
        if (wrong && !rejected) {
            bml_mcmc__fail(s->message, wrong, "log-likelihood %s at", wrong == BML_MCMC_NAN ? "NaN" : "+infinity");
            bml_mcmc__append_point(s->message, s->trial_theta + i * s->d, s->d);
            s->forgive = 1;
            return wrong;
        }
        if (wrong) {
            s->now.nans++;
        }
        if (wrong || *l < -DBL_MAX) {
            *l = -DBL_MAX;
        }
    }
    s->now.evaluations += (uint64_t)n;
    return BML_MCMC_OK;
}

/* Tells the user where things stand; CANCELLED if so answered. */
static int bml_mcmc__nested_report(bml_mcmc_nested *s) {
    s->report.evaluations = s->now.evaluations;
    if (!s->config.progress || !s->config.progress(&s->report, s->config.progress_user)) {
        return BML_MCMC_OK;
    }
    return bml_mcmc__fail(s->message, BML_MCMC_CANCELLED, "after %llu evaluations",
                          (unsigned long long)s->now.evaluations);
}

/* Room for `capacity` points, and for them in every list. */
static int bml_mcmc__nested_reserve(bml_mcmc_nested *s, ptrdiff_t capacity) {
    if (capacity <= s->capacity) {
        return BML_MCMC_OK;
    }
    double *block[5] = {s->point, (double *)s->live, (double *)s->known, (double *)s->waiting, (double *)s->order};
    ptrdiff_t index = bml_mcmc__room(capacity, sizeof *s->live);
    ptrdiff_t key = bml_mcmc__room(capacity, sizeof *s->order);
    int grown = bml_mcmc__grow(&block[0], capacity, s->row);
    if (grown) {
        grown = bml_mcmc__grow(&block[1], index, 1);
    }
    if (grown) {
        grown = bml_mcmc__grow(&block[2], index, 1);
    }
    if (grown) {
        grown = bml_mcmc__grow(&block[3], key, 1);
    }
    if (grown) {
        grown = bml_mcmc__grow(&block[4], key, 1);
    }
    s->point = block[0];
    s->live = (ptrdiff_t *)block[1];
    s->known = (ptrdiff_t *)block[2];
    s->waiting = (bml_mcmc__key *)block[3];
    s->order = (bml_mcmc__key *)block[4];
    if (!grown) {
        return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "%lld points", (long long)capacity);
    }
    s->capacity = capacity;
    return BML_MCMC_OK;
}

/* Adds a point born above the threshold to the round under way. */
static int bml_mcmc__nested_add_point(bml_mcmc_nested *s, const double *cube, const double *theta, double log_l,
                                      double tie) {
    ptrdiff_t at = bml_mcmc__nested_n_points(s) + s->fresh;
    int status = at == s->capacity ? bml_mcmc__nested_reserve(s, at + at / 2 + 1024) : BML_MCMC_OK;
    if (status) return status;
    double *p = bml_mcmc__nested_point(s, at);
    bml_mcmc__copy(p, cube, s->d);
    bml_mcmc__copy(p + s->d, theta, s->d);
    p += 2 * s->d;
    p[BML_MCMC__LOG_L] = log_l;
    p[BML_MCMC__BIRTH] = s->now.threshold;
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

#define BML_MCMC__MARGIN 1.25      /* of ellipsoids and balls, in radius */
#define BML_MCMC__SLICE_MARGIN 1.1 /* further for slices, for which room costs little */
enum { BML_MCMC__CUBE, BML_MCMC__ELLIPSOIDS, BML_MCMC__BALLS };

/* Coordinate k is cut open in the middle of the widest gap between points. */
static void bml_mcmc__cut_open(bml_mcmc__region *r, ptrdiff_t k) {
    ptrdiff_t d = r->d;
    double *u = r->sorted;
    double widest = 0;
    double cut = 0;
    for (ptrdiff_t i = 0; i < r->n; i++)
        u[i] = r->x[i * d + k];
    bml_mcmc__sort_doubles(u, r->n);
    u[r->n] = u[0] + 1;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        if (!(u[i + 1] - u[i] > widest)) {
            continue;
        }
        widest = u[i + 1] - u[i];
        cut = 0.5 * (u[i + 1] + u[i]);
    }
    cut -= floor(cut);
    r->cut[k] = cut;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        double *x = &r->x[i * d + k];
        *x -= cut - (*x < cut);
    }
}

/* The region's points, wrapped coordinates cut open. */
static void bml_mcmc__region_place(bml_mcmc__region *r, const bml_mcmc_nested *s) {
    for (ptrdiff_t i = 0; i < r->n; i++)
        bml_mcmc__copy(r->x + i * r->d, bml_mcmc__nested_point(s, r->index[i]), r->d);
    bml_mcmc__clear(r->cut, r->d);
    for (ptrdiff_t k = 0; k < r->d; k++)
        if (s->wrapped[k]) {
            bml_mcmc__cut_open(r, k);
        }
}

/* The cube's coordinates of x, which may have been wrapped. */
static void bml_mcmc__region_cube(double *cube, const double *x, const bml_mcmc__region *r) {
    for (ptrdiff_t k = 0; k < r->d; k++) {
        cube[k] = x[k] + r->cut[k];
        if (cube[k] > 1) {
            cube[k] -= 1;
        }
    }
}

/* Mean and scatter matrix (lower half) of cluster c; returns its size. */
static ptrdiff_t bml_mcmc__scatter(double *mean, double *scatter, const bml_mcmc__region *r, ptrdiff_t c) {
    ptrdiff_t d = r->d;
    ptrdiff_t n = 0;
    double *v = r->scratch + 3 * d;
    bml_mcmc__clear(mean, d);
    bml_mcmc__clear(scatter, d * d);
    for (ptrdiff_t i = 0; i < r->n; i++) {
        if (r->label[i] != c) {
            continue;
        }
        n++;
        for (ptrdiff_t k = 0; k < d; k++)
            mean[k] += r->x[i * d + k];
    }
    for (ptrdiff_t k = 0; k < d; k++)
        mean[k] /= (double)n;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        if (r->label[i] != c) {
            continue;
        }
        bml_mcmc__difference(v, r->x + i * d, mean, d);
        bml_mcmc__add_outer(scatter, 1, v, d);
    }
    return n;
}

/* r->L, A and y from the covariance within clusters. Too few points for a covariance: their correlations are shrunk. */
static int bml_mcmc__region_metric(bml_mcmc__region *r) {
    ptrdiff_t d = r->d;
    double few = r->n < 4 * d ? (double)r->n / (4.0 * (double)d) : 1;
    double freedom = r->n > r->n_clusters ? (double)(r->n - r->n_clusters) : 1;
    double *S = r->A;
    bml_mcmc__clear(r->L, d * d);
    for (ptrdiff_t c = 0; c < r->n_clusters; c++) {
        bml_mcmc__scatter(r->scratch, S, r, c);
        for (ptrdiff_t i = 0; i < d * d; i++)
            r->L[i] += S[i] / freedom;
    }
    for (ptrdiff_t i = 0; i < d; i++) {
        double *row = r->L + i * d;
        for (ptrdiff_t k = 0; k < i; k++)
            row[k] *= few;
        row[i] = row[i] * (1 + 1e-10) + 1e-30; /* identical points still have a size */
    }
    if (!bml_mcmc__cholesky(r->L, d, 1e-14)) {
        return 0;
    }
    bml_mcmc__invert_lower(r->A, r->L, d);
    for (ptrdiff_t i = 0; i < r->n; i++)
        bml_mcmc__lower_times(r->y + i * d, r->A, r->x + i * d, d);
    return 1;
}

/* key[] = group c along coordinate k, sorted; returns its size. */
static ptrdiff_t bml_mcmc__group_along(bml_mcmc__key *key, const bml_mcmc__region *r, ptrdiff_t c, ptrdiff_t k) {
    ptrdiff_t m = 0;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        if (r->group[i] != c) {
            continue;
        }
        key[m].value = r->x[i * r->d + k];
        key[m].tie = 0;
        key[m].index = i;
        m++;
    }
    bml_mcmc__sort_keys(key, m);
    return m;
}

/* Where the widest gap in key[m] is that is wider than 3/4 of the spread on both sides together; 0: nowhere. */
static ptrdiff_t bml_mcmc__widest_gap(bml_mcmc__key *key, ptrdiff_t m, ptrdiff_t d) {
    ptrdiff_t fewest = 3 + d / 2; /* on each side */
    ptrdiff_t cut = 0;
    double origin = key[m / 2].value;
    double sum = 0;
    double sum2 = 0;
    double left = 0;
    double left2 = 0;
    double widest = 0;
    for (ptrdiff_t i = 0; i < m; i++) {
        key[i].value -= origin;
        sum += key[i].value;
        sum2 += key[i].value * key[i].value;
    }
    for (ptrdiff_t i = 1; i < m; i++) {
        double before = key[i - 1].value;
        double gap = key[i].value - before;
        double a = (double)i;
        double b = (double)(m - i);
        left += before;
        left2 += before * before;
        if (i < fewest || m - i < fewest) {
            continue;
        }
        double right = sum - left;
        double left_sd = sqrt(fabs(left2 - left * left / a) / a);
        double right_sd = sqrt(fabs(sum2 - left2 - right * right / b) / b);
        if (!(gap > 0.75 * (left_sd + right_sd) && gap > widest)) {
            continue;
        }
        widest = gap;
        cut = i;
    }
    return cut;
}

/* Modes that stand apart in some coordinate: cuts in gaps wider than the spread on both sides, again and again.
   Neighbours in many dimensions are too far for the links below to tell such modes apart before the metric knows of
   them. Returns how many groups. */
static int bml_mcmc__region_gaps(bml_mcmc__region *r) {
    int groups = 1;
    memset(r->group, 0, sizeof *r->group * (size_t)r->n);
    for (ptrdiff_t c = 0; c < groups; c++) {
        ptrdiff_t k = 0;
        while (k < r->d && groups < BML_MCMC__MAX_GAPS) {
            ptrdiff_t m = bml_mcmc__group_along(r->key, r, c, k);
            ptrdiff_t cut = bml_mcmc__widest_gap(r->key, m, r->d);
            for (ptrdiff_t i = cut; cut && i < m; i++)
                r->group[r->key[i].index] = groups;
            groups += cut > 0;
            k = cut ? 0 : k + 1; /* the rest of group c once more */
        }
    }
    return groups;
}

/* The ball radius: the largest distance to the nearest neighbour, and a margin. */
static void bml_mcmc__ball_radius(bml_mcmc__region *r) {
    ptrdiff_t d = r->d;
    double largest = 0;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        double nearest = DBL_MAX;
        for (ptrdiff_t j = 0; j < r->n; j++) {
            if (i == j) {
                continue;
            }
            double t = bml_mcmc__distance2(r->y + i * d, r->y + j * d, d);
            nearest = t < nearest ? t : nearest;
        }
        if (nearest < DBL_MAX && nearest > largest) {
            largest = nearest;
        }
    }
    r->radius = sqrt(largest) * BML_MCMC__MARGIN;
}

/* Cluster c grows from point i: chains of neighbours within the ball radius, in one group. */
static void bml_mcmc__grow_cluster(bml_mcmc__region *r, ptrdiff_t i, int c) {
    ptrdiff_t d = r->d;
    double reach = r->radius * r->radius;
    ptrdiff_t todo = 1;
    r->label[i] = c;
    r->queue[0] = (int)i;
    for (ptrdiff_t done = 0; done < todo; done++) {
        const double *from = r->y + r->queue[done] * d;
        for (ptrdiff_t j = i + 1; j < r->n; j++) {
            if (r->label[j] >= 0 || r->group[j] != r->group[i]) {
                continue;
            }
            if (!(bml_mcmc__distance2(from, r->y + j * d, d) <= reach)) {
                continue;
            }
            r->label[j] = c;
            r->queue[todo++] = (int)j;
        }
    }
}

static void bml_mcmc__region_clusters(bml_mcmc__region *r) {
    int c = 0;
    bml_mcmc__ball_radius(r);
    for (ptrdiff_t i = 0; i < r->n; i++)
        r->label[i] = -1;
    for (ptrdiff_t i = 0; i < r->n; i++)
        if (r->label[i] < 0) {
            bml_mcmc__grow_cluster(r, i, c++);
        }
    r->n_clusters = c;
}

/* L[d][d] = the shape of cluster c, n points of scatter L, drawn towards the pooled covariance by `few` points' worth.
   */
static void bml_mcmc__shrink_shape(double *L, const bml_mcmc__region *r, ptrdiff_t n, double few) {
    ptrdiff_t d = r->d;
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t k = 0; k <= i; k++) {
            double pooled = bml_mcmc__dot(r->L + i * d, r->L + k * d, k + 1);
            double mixed = (L[i * d + k] + few * pooled) / ((double)(n - 1) + few);
            L[i * d + k] = mixed + (i == k) * 1e-12 * pooled;
        }
}

/* The squared distance m of a point from the mean of n, by the mean and covariance of the others (Sherman & Morrison
   1950). */
static double bml_mcmc__left_out(double m, double n) {
    double q = m / (n - 1);
    double f = n / (n - 1.0);
    double left = 1 - f * q;
    return f * f * (n - 2) * q / (left > 1e-6 ? left : 1e-6);
}

/* Ellipsoid c around its cluster's points, of a shape shrunk towards the pooled covariance where they are few. Returns
   the log of its volume, unit balls' volume left out. */
static double bml_mcmc__ellipsoid(bml_mcmc__region *r, ptrdiff_t c) {
    ptrdiff_t d = r->d;
    double *mean = r->mean + c * d;
    double *L = r->EL + c * d * d;
    double *A = r->EA + c * d * d;
    ptrdiff_t n = bml_mcmc__scatter(mean, L, r, c);
    double few = n > 4 * d + 4 ? 0 : 2.0 * (double)d;
    double top = 0;
    bml_mcmc__shrink_shape(L, r, n, few);
    if (!bml_mcmc__cholesky(L, d, 1e-14)) {
        bml_mcmc__copy(L, r->L, d * d);
    }
    double log_det = bml_mcmc__invert_lower(A, L, d);
    for (ptrdiff_t i = 0; i < r->n; i++) {
        if (r->label[i] != c) {
            continue;
        }
        double m = bml_mcmc__mahalanobis2(A, r->x + i * d, mean, r->scratch, d);
        if (few == 0) {
            m = bml_mcmc__left_out(m, (double)n);
        }
        top = m > top ? m : top;
    }
    top = sqrt(top) * BML_MCMC__MARGIN;
    if (few > 0) {
        top = 1.5 * top + r->radius;
    }
    r->spread[c] = top;
    for (ptrdiff_t i = 0; i < d * d; i++) {
        L[i] *= top;
        A[i] /= top;
    }
    return log_det + (double)d * log(top);
}

/* The clusters' arrays, cut from one block for `room` of them. */
static ptrdiff_t bml_mcmc__clusters_layout(bml_mcmc__region *r, ptrdiff_t room) {
    ptrdiff_t used = 0;
    ptrdiff_t d = r->d;
    r->mean = bml_mcmc__take(r->clusters, &used, room * d);
    r->EL = bml_mcmc__take(r->clusters, &used, room * d * d);
    r->EA = bml_mcmc__take(r->clusters, &used, room * d * d);
    r->spread = bml_mcmc__take(r->clusters, &used, room);
    r->weight = bml_mcmc__take(r->clusters, &used, room);
    return used;
}

static int bml_mcmc__clusters_reserve(bml_mcmc__region *r, ptrdiff_t n_clusters) {
    if (n_clusters <= r->room) {
        return 1;
    }
    BML_MCMC_FREE(r->clusters);
    r->clusters = NULL;
    r->room = 0;
    double *block = bml_mcmc__doubles(bml_mcmc__clusters_layout(r, n_clusters), 1);
    if (!block) {
        return 0;
    }
    r->clusters = block;
    r->room = n_clusters;
    bml_mcmc__clusters_layout(r, n_clusters);
    return 1;
}

/* What to draw from is whatever has the least volume: the cube, all ellipsoids, all balls. r->weight: the logs of the
   ellipsoids' volumes, which become cumulative shares. */
static void bml_mcmc__region_shape(bml_mcmc__region *r) {
    ptrdiff_t d = r->d;
    double half = 0.5 * (double)d;
    double ball = half * 1.1447298858494002 - bml_mcmc__log_gamma(half + 1); /* ln pi */
    double log_det = 0;
    double sum = 0;
    for (ptrdiff_t k = 0; k < d; k++)
        log_det += log(r->L[k * d + k]);
    double ellipsoids = r->weight[0];
    for (ptrdiff_t c = 1; c < r->n_clusters; c++)
        ellipsoids = bml_mcmc__log_add(ellipsoids, r->weight[c]);
    for (ptrdiff_t c = 0; c < r->n_clusters; c++) {
        sum += exp(r->weight[c] - ellipsoids);
        r->weight[c] = sum;
    }
    ellipsoids += ball;
    double balls = ball + log_det + (double)d * log(r->radius) + log((double)r->n);
    r->shape = balls < ellipsoids ? BML_MCMC__BALLS : BML_MCMC__ELLIPSOIDS;
    if (ellipsoids > 0 && balls > 0) {
        r->shape = BML_MCMC__CUBE;
    }
}

/* Clusters give a metric, which gives clusters. 0: there is no metric. */
static int bml_mcmc__region_settle(bml_mcmc__region *r) {
    r->n_clusters = bml_mcmc__region_gaps(r);
    for (ptrdiff_t i = 0; i < r->n; i++)
        r->label[i] = r->group[i];
    for (int pass = 0; pass < 4; pass++) {
        ptrdiff_t before = r->n_clusters;
        if (!bml_mcmc__region_metric(r)) {
            return 0;
        }
        bml_mcmc__region_clusters(r);
        if (r->n_clusters == before) {
            break;
        }
    }
    return 1;
}

/* The region from all points, of any pass, that were live at the lists' threshold. r->n = 0: not enough of them. */
static int bml_mcmc__region_build(bml_mcmc_nested *s) {
    bml_mcmc__region *r = &s->region;
    ptrdiff_t found = s->n_known;
    r->n = 0;
    if (found < 2) {
        return BML_MCMC_OK;
    }
    for (ptrdiff_t i = 0; i < found; i++) /* of too many, evenly spaced ones */
        if (found <= r->most || i * r->most / found != (i + 1) * r->most / found) {
            r->index[r->n++] = s->known[i];
        }
    bml_mcmc__region_place(r, s);
    if (!bml_mcmc__region_settle(r)) {
        r->n = 0;
        return BML_MCMC_OK;
    }
    if (!bml_mcmc__clusters_reserve(r, r->n_clusters)) {
        return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "%lld clusters", (long long)r->n_clusters);
    }
    for (ptrdiff_t c = 0; c < r->n_clusters; c++)
        r->weight[c] = bml_mcmc__ellipsoid(r, c);
    bml_mcmc__region_shape(r);
    return BML_MCMC_OK;
}

/* In how many ellipsoids, widened by `margin`, x is; *pick is the one whose turn is `which`. */
static ptrdiff_t bml_mcmc__count_ellipsoids(const bml_mcmc__region *r, const double *x, double margin, ptrdiff_t which,
                                            ptrdiff_t *pick) {
    ptrdiff_t d = r->d;
    ptrdiff_t q = 0;
    for (ptrdiff_t c = 0; c < r->n_clusters; c++) {
        double r2 = bml_mcmc__mahalanobis2(r->EA + c * d * d, x, r->mean + c * d, r->scratch, d);
        if (!(r2 <= margin * margin)) {
            continue;
        }
        if (q == which) {
            *pick = c;
        }
        q++;
    }
    return q;
}

/* How many balls hold y; those after the first only if all are wanted. */
static ptrdiff_t bml_mcmc__count_balls(const bml_mcmc__region *r, const double *y, int all) {
    double reach = r->radius * r->radius;
    ptrdiff_t q = 0;
    for (ptrdiff_t i = 0; i < r->n && (all || !q); i++)
        q += bml_mcmc__distance2(r->y + i * r->d, y, r->d) <= reach;
    return q;
}

/* v[d] uniform in the unit ball. */
static void bml_mcmc__uniform_ball(double *v, ptrdiff_t d, bml_mcmc_rng *rng) {
    double sum = 0;
    for (ptrdiff_t k = 0; k < d; k++) {
        v[k] = bml_mcmc_rng_normal(rng);
        sum += v[k] * v[k];
    }
    double f = pow(bml_mcmc_rng_uniform(rng), 1.0 / (double)d) / sqrt(sum);
    for (ptrdiff_t k = 0; k < d; k++)
        v[k] *= f;
}

/* x in the shape that is drawn from; u picks the ellipsoid. */
static void bml_mcmc__shape_draw(double *x, const bml_mcmc__region *r, double u, bml_mcmc_rng *rng) {
    ptrdiff_t d = r->d;
    ptrdiff_t c = 0;
    double *v = r->scratch + d;
    double *y = r->scratch + 2 * d;
    if (r->shape == BML_MCMC__CUBE) {
        for (ptrdiff_t k = 0; k < d; k++)
            x[k] = bml_mcmc_rng_uniform(rng);
    } else if (r->shape == BML_MCMC__ELLIPSOIDS) {
        while (c < r->n_clusters - 1 && u > r->weight[c])
            c++;
        bml_mcmc__uniform_ball(v, d, rng);
        bml_mcmc__lower_times(x, r->EL + c * d * d, v, d);
        for (ptrdiff_t k = 0; k < d; k++)
            x[k] += r->mean[c * d + k];
    } else {
        c = bml_mcmc__below(rng, r->n);
        bml_mcmc__uniform_ball(v, d, rng);
        for (ptrdiff_t k = 0; k < d; k++)
            y[k] = r->y[c * d + k] + r->radius * v[k];
        bml_mcmc__lower_times(x, r->L, y, d);
    }
}

static int bml_mcmc__inside_cube(const double *x, ptrdiff_t d) {
    for (ptrdiff_t k = 0; k < d; k++)
        if (!(x[k] >= 0 && x[k] <= 1)) {
            return 0;
        }
    return 1;
}

/* One attempt at a point x uniform in the region; 0 when it fell outside. Where k shapes overlap, one in k is kept. */
static int bml_mcmc__region_attempt(double *x, const bml_mcmc__region *r, bml_mcmc_rng *rng) {
    double *y = r->scratch + 2 * r->d;
    int ellipsoids = r->shape == BML_MCMC__ELLIPSOIDS;
    int balls = r->shape == BML_MCMC__BALLS;
    ptrdiff_t unused;
    bml_mcmc__shape_draw(x, r, bml_mcmc_rng_uniform(rng), rng);
    if (!bml_mcmc__inside_cube(x, r->d)) {
        return 0;
    }
    ptrdiff_t q = bml_mcmc__count_ellipsoids(r, x, 1, -1, &unused);
    if (q == 0) {
        return 0;
    }
    if (ellipsoids && q > 1 && bml_mcmc_rng_uniform(rng) * (double)q > 1) {
        return 0;
    }
    bml_mcmc__lower_times(y, r->A, x, r->d);
    q = bml_mcmc__count_balls(r, y, balls);
    if (q == 0) {
        return 0;
    }
    return !(balls && q > 1 && bml_mcmc_rng_uniform(rng) * (double)q > 1);
}

/* Trial points from the region, or from the cube without one; how many. 10^4 attempts for each are given up. */
static ptrdiff_t bml_mcmc__region_draw(bml_mcmc_nested *s, ptrdiff_t n, bml_mcmc_rng *rng) {
    bml_mcmc__region *r = &s->region;
    ptrdiff_t d = r->d;
    ptrdiff_t drawn = 0;
    double *x = r->scratch + 3 * d;
    for (ptrdiff_t attempt = 0; drawn < n && attempt < 10000 * n; attempt++) {
        double *cube = s->trial_cube + drawn * d;
        if (r->n == 0)
            for (ptrdiff_t k = 0; k < d; k++)
                cube[k] = bml_mcmc_rng_uniform(rng);
        else if (bml_mcmc__region_attempt(x, r, rng)) {
            bml_mcmc__region_cube(cube, x, r);
        } else {
            continue;
        }
        drawn++;
    }
    return drawn;
}

/* >> nested sampling: slices
   A chain starts at a known point above the threshold, and stays above it: hit-and-run with shrinkage (Neal 2003, fig.
   5), inside an ellipsoid of the region, whose chord is the first bracket. Directions depend on the ellipsoid and the
   known points alone, not on x; d of them are a sweep. Where x is in q(x) ellipsoids one of them is drawn for each
   slice, and the move to y is taken with probability q(x)/q(y): the uniform density stays what it was. All chains of a
   round take each likelihood together. */

typedef struct bml_mcmc__slice {
    bml_mcmc_rng rng;
    ptrdiff_t start; /* row of the region */
    ptrdiff_t step;  /* slices done */
    ptrdiff_t q;     /* ellipsoids that hold x */
    int shrinks;     /* 0: a new slice is due */
    double a;        /* the bracket */
    double b;
    double t; /* the trial in it */
    double log_l;
} bml_mcmc__slice;

/* Direction v of length one in ellipsoid c's metric, w = A v: the difference of two points of its cluster, where two
   drawn at random are of it, or any. */
static void bml_mcmc__direction(double *v, double *w, ptrdiff_t c, const bml_mcmc__region *r, bml_mcmc_rng *rng) {
    ptrdiff_t d = r->d;
    ptrdiff_t i = bml_mcmc__below(rng, r->n);
    ptrdiff_t j = bml_mcmc__below(rng, r->n);
    double norm = 0;
    if (r->label[i] == c && r->label[j] == c) {
        bml_mcmc__difference(v, r->x + i * d, r->x + j * d, d);
        bml_mcmc__lower_times(w, r->EA + c * d * d, v, d);
        norm = bml_mcmc__dot(w, w, d);
    }
    while (!(norm > 0)) /* other clusters; the same point twice */
        for (ptrdiff_t k = 0; k < d; k++) {
            w[k] = bml_mcmc_rng_normal(rng);
            norm += w[k] * w[k];
        }
    for (ptrdiff_t k = 0; k < d; k++)
        w[k] /= sqrt(norm);
    bml_mcmc__lower_times(v, r->EL + c * d * d, w, d);
}

/* The bracket of x + t v is cut at the walls of the cube. */
static void bml_mcmc__cut_bracket(bml_mcmc__slice *c, const double *v, const double *x, ptrdiff_t d) {
    for (ptrdiff_t k = 0; k < d; k++) {
        if (v[k] == 0) {
            continue;
        }
        double zero = -x[k] / v[k];
        double one = (1 - x[k]) / v[k];
        double lo = zero < one ? zero : one;
        double hi = zero < one ? one : zero;
        c->a = lo > c->a ? lo : c->a;
        c->b = hi < c->b ? hi : c->b;
    }
    if (!(c->a <= 0)) { /* by rounding */
        c->a = 0;
    }
    if (!(c->b >= 0)) {
        c->b = 0;
    }
}

/* Direction v and bracket [a, b] of the next slice through x, within an ellipsoid and the cube. */
static void bml_mcmc__slice_begin(bml_mcmc__slice *c, double *v, const double *x, const bml_mcmc__region *r) {
    ptrdiff_t d = r->d;
    ptrdiff_t pick = 0;
    double *z = r->scratch + 3 * d;
    double *w = r->scratch + 2 * d;
    c->q = bml_mcmc__count_ellipsoids(r, x, BML_MCMC__SLICE_MARGIN, -1, &pick);
    ptrdiff_t which = bml_mcmc__below(&c->rng, c->q > 0 ? c->q : 1);
    bml_mcmc__count_ellipsoids(r, x, BML_MCMC__SLICE_MARGIN, which, &pick);
    bml_mcmc__direction(v, w, pick, r, &c->rng);
    bml_mcmc__difference(r->scratch, x, r->mean + pick * d, d);
    bml_mcmc__lower_times(z, r->EA + pick * d * d, r->scratch, d);
    double along = bml_mcmc__dot(w, z, d);
    double chord = along * along + BML_MCMC__SLICE_MARGIN * BML_MCMC__SLICE_MARGIN - bml_mcmc__dot(z, z, d);
    chord = chord > 0 ? sqrt(chord) : 0;
    c->a = -along - chord;
    c->b = -along + chord;
    bml_mcmc__cut_bracket(c, v, x, d);
}

/* Where the slices of a round are. */
typedef struct bml_mcmc__slices {
    ptrdiff_t n;
    bml_mcmc__slice *chain; /* [n] */
    double *x;              /* [n][d] where they are */
    double *theta;          /* [n][d] */
    double *v;              /* [n][d] directions */
    double *y;              /* [n][d] trials, of those that are not done */
} bml_mcmc__slices;

/* The likelihood of trial row `from` of chain i has come: the slice ends there, or shrinks. */
static void bml_mcmc__slice_answer(bml_mcmc_nested *s, bml_mcmc__slices *slices, ptrdiff_t i, ptrdiff_t from) {
    bml_mcmc__slice *c = slices->chain + i;
    ptrdiff_t d = s->d;
    const double *y = slices->y + from * d;
    double log_l = s->trial_log_l[from];
    ptrdiff_t unused;
    if (log_l > s->now.threshold) {
        ptrdiff_t q = bml_mcmc__count_ellipsoids(&s->region, y, BML_MCMC__SLICE_MARGIN, -1, &unused);
        if (q <= c->q || bml_mcmc_rng_uniform(&c->rng) * (double)q < (double)c->q) {
            bml_mcmc__copy(slices->x + i * d, y, d);
            bml_mcmc__copy(slices->theta + i * d, s->trial_theta + from * d, d);
            c->log_l = log_l;
        }
    } else {
        *(c->t < 0 ? &c->a : &c->b) = c->t;
        c->shrinks++;
        if (c->shrinks <= BML_MCMC__SHRINKS) {
            return;
        }
    }
    c->step++;
    c->shrinks = 0;
}

/* How far chain c came from its start, in units in which independent points have a mean of 1. */
static void bml_mcmc__nested_jump(bml_mcmc_nested *s, const bml_mcmc__slice *c, const double *x) {
    const bml_mcmc__region *r = &s->region;
    ptrdiff_t d = r->d;
    ptrdiff_t cluster = r->label[c->start];
    const double *A = r->EA + cluster * d * d;
    double *step = r->scratch;
    double start_log_l = bml_mcmc__nested_log_l(s, r->index[c->start]);
    double below = 0;
    bml_mcmc__difference(step, x, r->x + c->start * d, d);
    for (ptrdiff_t k = 0; k < d; k++) {
        double z = bml_mcmc__dot(A + k * d, step, k + 1) * r->spread[cluster];
        s->jump[k] += 0.5 * z * z;
    }
    for (ptrdiff_t i = 0; i < r->n; i++) { /* the ranks of the two likelihoods */
        double l = bml_mcmc__nested_log_l(s, r->index[i]);
        below += (l < c->log_l) + 0.5 * (l == c->log_l);
        below -= (l < start_log_l) + 0.5 * (l == start_log_l);
    }
    double moved = below / (double)r->n;
    s->jump[d] += 6 * moved * moved;
    s->now.jumps++;
}

/* New points remember their start: more sweeps, unless the last growth was of no use. Chains that mix have a
   correlation that falls as its power, c -> c^(growth); where a cluster is a ring or several modes the number measured
   is not memory and stays. A quarter of the fall that mixing promises must be seen. */
static void bml_mcmc__grow_sweeps(bml_mcmc__nested_state *now) {
    double mean = now->correlation;
    if (now->sweeps_settled) {
        return;
    }
    if (now->sweeps_before) {
        double growth = (double)now->sweeps / (double)now->sweeps_before;
        double before = bml_mcmc__clamp(now->correlation_before, 0, 1);
        double promised = before - pow(before, growth);
        if (!(mean < now->correlation_before - 0.25 * promised)) {
            now->sweeps = now->sweeps_before;
            now->sweeps_settled = 1;
            return;
        }
    }
    if (now->sweeps >= BML_MCMC__MAX_SWEEPS) {
        return;
    }
    now->sweeps_before = now->sweeps;
    now->correlation_before = mean;
    now->sweeps += mean > 0.3 ? now->sweeps : now->sweeps / 2;
    if (now->sweeps > BML_MCMC__MAX_SWEEPS) {
        now->sweeps = BML_MCMC__MAX_SWEEPS;
    }
}

/* After enough chains: do new points remember their start? */
static void bml_mcmc__nested_check_sweeps(bml_mcmc_nested *s) {
    ptrdiff_t d = s->d;
    double n = (double)s->now.jumps;
    double allowed = 0.1 + 5 / sqrt(n); /* worst of many noisy numbers */
    double worst = 0;
    double mean = 0;
    if (s->now.jumps < BML_MCMC__JUMPS) {
        return;
    }
    for (ptrdiff_t k = 0; k <= d; k++) {
        double rho = 1 - s->jump[k] / n;
        worst = rho > worst ? rho : worst;
        if (k < d) {
            mean += rho / (double)d;
        }
    }
    s->now.correlation = mean;
    if (!s->config.sweeps && (worst > allowed || mean > 0.1)) {
        bml_mcmc__grow_sweeps(&s->now);
    }
    bml_mcmc__clear(s->jump, d + 1);
    s->now.jumps = 0;
}

/* The trials of all chains that are not done; returns how many. */
static ptrdiff_t bml_mcmc__slice_trials(bml_mcmc_nested *s, bml_mcmc__slices *slices, ptrdiff_t steps) {
    const bml_mcmc__region *r = &s->region;
    ptrdiff_t d = r->d;
    ptrdiff_t batch = 0;
    for (ptrdiff_t i = 0; i < slices->n; i++) {
        bml_mcmc__slice *c = slices->chain + i;
        const double *x = slices->x + i * d;
        double *v = slices->v + i * d;
        double *y = slices->y + batch * d;
        if (c->step == steps) {
            continue;
        }
        if (!c->shrinks) {
            bml_mcmc__slice_begin(c, v, x, r);
        }
        if (!c->shrinks) {
            c->shrinks = 1;
        }
        c->t = c->a + (c->b - c->a) * bml_mcmc_rng_uniform(&c->rng);
        for (ptrdiff_t k = 0; k < d; k++)
            y[k] = bml_mcmc__clamp(x[k] + c->t * v[k], 0, 1); /* by rounding */
        bml_mcmc__region_cube(s->trial_cube + batch * d, y, r);
        batch++;
    }
    return batch;
}

/* All chains go their `steps` slices. */
static int bml_mcmc__slice_run(bml_mcmc_nested *s, bml_mcmc__slices *slices) {
    ptrdiff_t steps = (ptrdiff_t)s->now.sweeps * s->d;
    for (;;) {
        ptrdiff_t batch = bml_mcmc__slice_trials(s, slices, steps);
        if (!batch) {
            return BML_MCMC_OK;
        }
        int status = bml_mcmc__nested_try(s, batch);
        if (!status) {
            status = bml_mcmc__nested_report(s);
        }
        if (status) return status;
        s->now.slice_evaluations += (uint64_t)batch;
        s->now.slice_calls += (uint64_t)batch;
        ptrdiff_t from = 0;
        for (ptrdiff_t i = 0; i < slices->n; i++)
            if (slices->chain[i].step != steps) {
                bml_mcmc__slice_answer(s, slices, i, from++);
            }
    }
}

/* Chains start at different points of the region, if it has so many, in a random order. */
static void bml_mcmc__slice_starts(bml_mcmc_nested *s, bml_mcmc__slices *slices) {
    const bml_mcmc__region *r = &s->region;
    bml_mcmc_rng shared = bml_mcmc__numbered_stream(s->config.seed, BML_MCMC__SLICE_ORDER, s->now.round);
    ptrdiff_t d = s->d;
    for (ptrdiff_t i = 0; i < r->n; i++)
        r->queue[i] = (int)i;
    for (ptrdiff_t i = 0; i < slices->n; i++) {
        bml_mcmc__slice *c = slices->chain + i;
        ptrdiff_t at = i % r->n;
        ptrdiff_t j = at + bml_mcmc__below(&shared, r->n - at);
        int start = r->queue[j];
        r->queue[j] = r->queue[at];
        r->queue[at] = start;
        c->start = start;
        c->rng = bml_mcmc__numbered_stream(s->config.seed, (int)i, s->now.round);
        c->log_l = bml_mcmc__nested_log_l(s, r->index[start]);
        bml_mcmc__copy(slices->x + i * d, r->x + start * d, d);
        bml_mcmc__copy(slices->theta + i * d, bml_mcmc__nested_point(s, r->index[start]) + d, d);
    }
}

/* `want` new points by slices. */
static int bml_mcmc__slice_points(bml_mcmc_nested *s, ptrdiff_t want) {
    bml_mcmc__slices slices;
    ptrdiff_t d = s->d;
    double *block = bml_mcmc__doubles(want, 4 * d + bml_mcmc__room(1, sizeof *slices.chain));
    if (!block) {
        return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "%lld chains", (long long)want);
    }
    slices.n = want;
    slices.x = block;
    slices.theta = slices.x + want * d;
    slices.v = slices.theta + want * d;
    slices.y = slices.v + want * d;
    slices.chain = (bml_mcmc__slice *)(slices.y + want * d);
    int status = bml_mcmc__nested_trials(s, want);
    if (!status) {
        bml_mcmc__slice_starts(s, &slices);
    }
    if (!status) {
        status = bml_mcmc__slice_run(s, &slices);
    }
    for (ptrdiff_t i = 0; i < want && !status; i++) {
        bml_mcmc__slice *c = slices.chain + i;
        double *cube = s->region.scratch + 2 * d;
        bml_mcmc__region_cube(cube, slices.x + i * d, &s->region);
        bml_mcmc__nested_jump(s, c, slices.x + i * d);
        status = bml_mcmc__nested_add_point(s, cube, slices.theta + i * d, c->log_l, bml_mcmc_rng_uniform(&c->rng));
    }
    s->now.slice_chains += (uint64_t)want;
    BML_MCMC_FREE(block);
    if (!status) {
        bml_mcmc__nested_check_sweeps(s);
    }
    return status;
}

/* >> nested sampling: rounds
   A round kills the worst live points, all those at or below a threshold, and draws as many above it again, and a few
   more if they come: their births keep count. It is taken whole or not at all. */

#define BML_MCMC__LARGEST_BATCH 4096

static double bml_mcmc__slice_cost(const bml_mcmc_nested *s) {
    if (s->now.slice_chains) {
        return (double)s->now.slice_calls / (double)s->now.slice_chains;
    }
    return 2.5 * (double)s->now.sweeps * (double)s->d;
}

/* n trials from the region; those above the threshold are taken. *hits: how many. */
static int bml_mcmc__region_points(bml_mcmc_nested *s, ptrdiff_t n, double *hits, bml_mcmc_rng *rng) {
    ptrdiff_t d = s->d;
    int status = bml_mcmc__nested_trials(s, n);
    *hits = 0;
    if (status) return status;
    ptrdiff_t drawn = bml_mcmc__region_draw(s, n, rng);
    if (drawn) {
        status = bml_mcmc__nested_try(s, drawn);
    }
    if (!status) {
        status = bml_mcmc__nested_report(s);
    }
    for (ptrdiff_t i = 0; i < drawn && !status; i++) {
        double log_l = s->trial_log_l[i];
        if (!(log_l > s->now.threshold)) {
            continue;
        }
        *hits += 1;
        status = bml_mcmc__nested_add_point(s, s->trial_cube + i * d, s->trial_theta + i * d, log_l,
                                            bml_mcmc_rng_uniform(rng));
    }
    return status;
}

/* Slices are under way: would the region be cheaper by now? */
static int bml_mcmc__nested_probe_region(bml_mcmc_nested *s, double cost, bml_mcmc_rng *rng) {
    double n = ceil(2 * cost);
    double hits;
    if (n > 1e6) {
        n = 1e6;
    }
    int status = bml_mcmc__region_points(s, (ptrdiff_t)n, &hits, rng);
    if (status) return status;
    s->now.probes = 0.9 * s->now.probes + n;
    s->now.probe_hits = 0.9 * s->now.probe_hits + hits;
    if (!(s->now.probe_hits > 5 && s->now.probe_hits * cost > 1.5 * s->now.probes)) {
        return BML_MCMC_OK;
    }
    s->now.method = BML_MCMC_NESTED_REGION;
    s->now.efficiency = s->now.probe_hits / s->now.probes;
    return BML_MCMC_OK;
}

/* At least `want` new points above the threshold. */
static int bml_mcmc__nested_refill(bml_mcmc_nested *s, ptrdiff_t want) {
    bml_mcmc_rng rng = bml_mcmc__numbered_stream(s->config.seed, BML_MCMC__SHARED, s->now.round);
    int choose = s->config.method == BML_MCMC_NESTED_AUTO;
    double cost = bml_mcmc__slice_cost(s);
    double tried = 0;
    int status = bml_mcmc__nested_report(s);
    if (!status && choose && s->now.method == BML_MCMC_NESTED_SLICE && s->region.n) {
        status = bml_mcmc__nested_probe_region(s, cost, &rng);
    }
    while (!status && s->fresh < want) {
        if (s->now.method == BML_MCMC_NESTED_SLICE && s->region.n) {
            return bml_mcmc__slice_points(s, want - s->fresh);
        }
        double hits;
        double n = ceil((double)(want - s->fresh) / s->now.efficiency);
        if (n > BML_MCMC__LARGEST_BATCH) {
            n = BML_MCMC__LARGEST_BATCH;
        }
        status = bml_mcmc__region_points(s, (ptrdiff_t)n, &hits, &rng);
        tried += n;
        s->now.efficiency = ((double)s->fresh + 0.5) / (tried + 0.5);
        if (!choose || !s->region.n) {
            continue;
        }
        if (!(s->now.efficiency * cost < 1 && tried > 10 * cost)) {
            continue;
        }
        s->now.method = BML_MCMC_NESTED_SLICE;
        s->now.probes = s->now.probe_hits = 0;
    }
    return status;
}

/* Insertion ranks (Fowlie, Handley & Su 2020): of each new point among those that live already, spread over (0,1). */
static void bml_mcmc__nested_rank(bml_mcmc_nested *s, ptrdiff_t first_survivor) {
    bml_mcmc_rng rng = bml_mcmc__numbered_stream(s->config.seed, BML_MCMC__RANK_STREAM, s->now.round);
    ptrdiff_t n = bml_mcmc__nested_n_points(s);
    for (ptrdiff_t i = n; i < n + s->fresh; i++) {
        double l = bml_mcmc__nested_log_l(s, i);
        double tie = *bml_mcmc__nested_value(s, i, BML_MCMC__TIE);
        double below = 0;
        for (ptrdiff_t j = first_survivor; j < s->n_order; j++) {
            const bml_mcmc__key *key = s->order + j;
            below += key->value < l || (key->value == l && key->tie < tie);
        }
        for (ptrdiff_t j = n; j < i; j++) {
            double other = bml_mcmc__nested_log_l(s, j);
            below += other < l || (other == l && *bml_mcmc__nested_value(s, j, BML_MCMC__TIE) < tie);
        }
        below += bml_mcmc_rng_uniform(&rng);
        ptrdiff_t among = s->n_order - first_survivor + i - n + 1;
        *bml_mcmc__nested_value(s, i, BML_MCMC__RANK) = below / (double)among;
    }
}

/* The first `dead` of the order die: volume, evidence and information by expectation, for the progress line and the
   end. */
static void bml_mcmc__nested_kill(bml_mcmc_nested *s, ptrdiff_t dead) {
    bml_mcmc__nested_state *now = &s->now;
    for (ptrdiff_t i = 0; i < dead; i++) {
        double step = 1 / (double)(s->n_order - i);
        double l = s->order[i].value;
        double w = now->log_x + log(-expm1(-step)) + l;
        double before = now->log_z;
        *bml_mcmc__nested_value(s, s->order[i].index, BML_MCMC__LIVE) = 0;
        if (now->pass) {
            continue;
        }
        now->log_x -= step;
        now->log_z = bml_mcmc__log_add(before, w);
        if (l > -DBL_MAX) {
            now->information = exp(w - now->log_z) * l + exp(before - now->log_z) * now->information;
        }
    }
}

enum { BML_MCMC__NOTHING_ABOVE = -2, BML_MCMC__MORE_FIRST };

/* How many of the order die, and the new threshold; or that more points are needed first, or nothing lies above. */
static ptrdiff_t bml_mcmc__nested_choose_threshold(bml_mcmc_nested *s, double *t) {
    const bml_mcmc__key *order = s->order;
    ptrdiff_t m = s->n_order;
    ptrdiff_t keep = s->K - s->config.replace;
    ptrdiff_t first = m > keep ? m - keep - 1 : 0; /* the last to die, before its ties are counted */
    ptrdiff_t next = first + 1;
    *t = order[first].value;
    while (next < m && order[next].value == *t)
        next++;
    while (first > 0 && order[first - 1].value == *t)
        first--;
    if (2 * (m - next) >= s->K) {
        return next;
    }
    if (first > 0) { /* a plateau holds so many of them: it is left for the next round */
        *t = order[first - 1].value;
        return first;
    }
    if (m < (*t == -DBL_MAX ? 256 : 16) * s->K) {
        return BML_MCMC__MORE_FIRST;
    }
    if (next == m) {
        return BML_MCMC__NOTHING_ABOVE;
    }
    return next;
}

/* *dead of the order die, and at least *want points must come, above *t. Returns 0 when nothing lies above. */
static int bml_mcmc__nested_plan_round(bml_mcmc_nested *s, double *t, ptrdiff_t *dead, ptrdiff_t *want) {
    *t = s->now.low;
    *dead = 0;
    *want = s->K;
    if (!s->n_order) {
        return 1;
    }
    ptrdiff_t choice = bml_mcmc__nested_choose_threshold(s, t);
    if (choice == BML_MCMC__NOTHING_ABOVE) {
        return 0;
    }
    if (choice == BML_MCMC__MORE_FIRST) {
        *t = s->now.threshold;
        *want = s->n_order;
        return 1;
    }
    *dead = choice;
    ptrdiff_t left = s->n_order - choice;
    *want = left < s->K ? s->K - left : 0;
    return 1;
}

static int bml_mcmc__nested_round_steps(bml_mcmc_nested *s) {
    bml_mcmc__nested_state *now = &s->now;
    double t;
    ptrdiff_t dead;
    ptrdiff_t want;
    if (!s->lists_good) {
        bml_mcmc__nested_make_lists(s);
    }
    bml_mcmc__nested_sort_points(s, s->live, s->n_live);
    now->round++;
    if (!bml_mcmc__nested_plan_round(s, &t, &dead, &want)) {
        if (t == -DBL_MAX) {
            return bml_mcmc__fail(s->message, BML_MCMC_NO_SUPPORT, "-infinity at all of %lld points of the prior",
                                  (long long)s->n_order);
        }
        now->pass_over = 1;
        return BML_MCMC_OK;
    }
    now->threshold = t;
    bml_mcmc__nested_raise_lists(s, t);
    int status = want ? bml_mcmc__region_build(s) : BML_MCMC_OK;
    if (!status) {
        status = bml_mcmc__nested_refill(s, want);
    }
    if (status) return status;
    if (s->n_order) {
        bml_mcmc__nested_rank(s, dead);
    }
    bml_mcmc__nested_kill(s, dead);
    bml_mcmc__nested_renew_lists(s);
    now->n_points += (uint64_t)s->fresh;
    return BML_MCMC_OK;
}

/* The error of ln Z that a dynamic pass has come down to at its threshold. */
static double bml_mcmc__planned_error(const bml_mcmc__nested_state *now) {
    ptrdiff_t i = 0;
    while (i < BML_MCMC__PLAN - 1 && now->plan_log_l[i + 1] <= now->threshold)
        i++;
    return now->plan_error[i];
}

/* The pass is over when what lives can add nothing that matters; a dynamic pass, at its end. */
static void bml_mcmc__nested_round_end(bml_mcmc_nested *s) {
    bml_mcmc_nested_progress *p = &s->report;
    bml_mcmc__nested_state *now = &s->now;
    double mean = -DBL_MAX;
    bml_mcmc__nested_sort_points(s, s->live, s->n_live);
    double best = s->order[s->n_order - 1].value + now->log_x;
    for (ptrdiff_t i = 0; i < s->n_order; i++)
        mean = bml_mcmc__log_add(mean, s->order[i].value);
    p->log_z = now->log_z;
    if (now->pass) {
        if (now->threshold >= now->high) {
            now->pass_over = 1;
        }
        p->log_z_error = bml_mcmc__planned_error(now);
    } else {
        double H = now->information - now->log_z;
        now->remaining = exp(best - bml_mcmc__log_add(now->log_z, best));
        if (now->log_x < 0 && now->remaining < s->config.remaining) {
            now->pass_over = 1;
        }
        p->log_z = bml_mcmc__log_add(now->log_z, mean - log((double)s->n_order) + now->log_x);
        p->log_z_error = H > 0 && now->log_x < 0 ? sqrt(H / (double)s->K) : 0;
    }
    p->remaining = now->remaining;
    p->log_volume = now->log_x;
    p->evaluations = now->evaluations;
    p->pass = (int)now->pass;
    p->method = (int)now->method;
    p->n_clusters = s->region.n ? (int)s->region.n_clusters : 1;
    p->n_points = (size_t)now->n_points;
}

static int bml_mcmc__nested_round(bml_mcmc_nested *s) {
    bml_mcmc__nested_state before = s->now;
    bml_mcmc__copy(s->jump_before, s->jump, s->d + 1);
    s->fresh = 0;
    s->region.n = 0;
    int status = bml_mcmc__nested_round_steps(s);
    if (status) {
        s->now = before;
        s->lists_good = 0;
        bml_mcmc__copy(s->jump, s->jump_before, s->d + 1);
        return status;
    }
    s->forgive = 0;
    bml_mcmc__nested_round_end(s);
    uint64_t calls = s->now.evaluations - before.evaluations;
    s->report.efficiency = (double)s->fresh / ((double)calls + 1e-300);
    return bml_mcmc__nested_report(s);
}

/* >> nested sampling: evidence
   Of all points in the order of their likelihood, number i dies among n_i that were born below it and are not dead, and
   shrinks the volume by t_i, distributed as Beta(n_i, 1) (Skilling 2006; Higson et al. 2019 for n_i from births;
   Fowlie, Handley & Su 2021 for plateaus, whose points die one by one). ln X_i = -sum 1/n_j; Z by the trapezoid rule;
   its error from 200 runs through the t_i. */

/* The result's arrays, of n points in the order of their likelihood. */
typedef struct bml_mcmc__sorted {
    ptrdiff_t n;
    double *theta;  /* [n][d] */
    double *log_l;  /* [n] */
    double *weight; /* [n] */
    double *step;   /* [n] 1/n_i */
    double *birth;  /* [n] sorted for themselves; scratch later */
    double *mid;    /* [n] ln of the mean L over the interval above a point in X */
} bml_mcmc__sorted;

static bml_mcmc__sorted bml_mcmc__nested_sorted_arrays(const bml_mcmc_nested *s) {
    bml_mcmc__sorted a;
    a.n = s->sorted_n;
    a.theta = s->sorted;
    a.log_l = a.theta + a.n * s->d;
    a.weight = a.log_l + a.n;
    a.step = a.weight + a.n;
    a.birth = a.step + a.n;
    a.mid = a.birth + a.n;
    return a;
}

/* The volume that point i stands for, in units of X_(i-1): half of the intervals on both sides, the ends all of
   theirs. */
static double bml_mcmc__point_volume(const double *step, ptrdiff_t i, ptrdiff_t n) {
    double below = -expm1(-step[i]) * (i ? 0.5 : 1);
    double above = i < n - 1 ? -0.5 * expm1(-step[i + 1]) : 1;
    return below + exp(-step[i]) * above;
}

static int bml_mcmc__nested_sort_result(bml_mcmc_nested *s) {
    ptrdiff_t n = bml_mcmc__nested_n_points(s);
    BML_MCMC_FREE(s->sorted);
    s->sorted = bml_mcmc__doubles(n, s->d + 5);
    if (!s->sorted) {
        return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "result");
    }
    s->sorted_n = n;
    bml_mcmc__sorted a = bml_mcmc__nested_sorted_arrays(s);
    for (ptrdiff_t i = 0; i < n; i++) {
        const double *p = bml_mcmc__nested_point(s, s->order[i].index);
        bml_mcmc__copy(a.theta + i * s->d, p + s->d, s->d);
        a.birth[i] = *bml_mcmc__nested_value(s, i, BML_MCMC__BIRTH);
        a.log_l[i] = s->order[i].value;
    }
    bml_mcmc__sort_doubles(a.birth, n);
    ptrdiff_t born = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        double lower = a.log_l[i ? i - 1 : 0];
        while (born < n && a.birth[born] < a.log_l[i])
            born++;
        a.step[i] = 1 / (double)(born - i);
        a.mid[i] = bml_mcmc__log_add(lower, a.log_l[i]) - BML_MCMC__LN2;
    }
    return BML_MCMC_OK;
}

/* The standard deviation of ln Z over simulated shrinkages. weight: ln of the intervals' shares, of which those 50
   below the largest, top, are left out. */
static double bml_mcmc__nested_simulate_error(const bml_mcmc_nested *s, const bml_mcmc__sorted *a, double top) {
    double sims = 0;
    double sims2 = 0;
    for (int k = 0; k < BML_MCMC__SIMULATIONS; k++) {
        bml_mcmc_rng rng = bml_mcmc__numbered_stream(s->config.seed, BML_MCMC__SHRINK_STREAM, (uint64_t)k);
        double sum = 0;
        double x = 0;
        for (ptrdiff_t i = 0; i < a->n; i++) {
            double shrink = log(bml_mcmc_rng_uniform(&rng)) * a->step[i];
            if (a->weight[i] - top > -50) {
                sum += exp(a->mid[i] - top + x) * -expm1(shrink);
            }
            x += shrink;
        }
        sum = log(sum + exp(a->log_l[a->n - 1] - top + x) + DBL_MIN);
        sims += sum / BML_MCMC__SIMULATIONS;
        sims2 += sum * sum / BML_MCMC__SIMULATIONS;
    }
    double variance = sims2 > sims * sims ? sims2 - sims * sims : 0;
    return sqrt(variance * BML_MCMC__SIMULATIONS / (BML_MCMC__SIMULATIONS - 1.0));
}

/* Sorts the points, weighs them, and fills *r but for its pointers' uses. */
static int bml_mcmc__nested_evidence(bml_mcmc_nested *s, bml_mcmc_nested_result *r) {
    int status = bml_mcmc__nested_sort_result(s);
    if (status) return status;
    bml_mcmc__sorted a = bml_mcmc__nested_sorted_arrays(s);
    double top = -BML_MCMC__INF;
    double log_x = 0;
    double z = 0;
    double sum2 = 0;
    for (ptrdiff_t i = 0; i < a.n; i++) {
        double width = log_x + log(-expm1(-a.step[i]));
        log_x -= a.step[i];
        a.weight[i] = a.mid[i] + width; /* for now: ln of the interval's share */
        if (i == a.n - 1) {
            a.weight[i] = bml_mcmc__log_add(a.weight[i], a.log_l[i] + log_x);
        }
        top = a.weight[i] > top ? a.weight[i] : top;
    }
    for (ptrdiff_t i = 0; i < a.n; i++)
        z += exp(a.weight[i] - top);
    r->log_z = top + log(z);
    r->log_z_error = bml_mcmc__nested_simulate_error(s, &a, top);
    r->information = -r->log_z;
    log_x = 0;
    for (ptrdiff_t i = 0; i < a.n; i++) {
        double share = exp(a.log_l[i] + log_x - r->log_z) * bml_mcmc__point_volume(a.step, i, a.n);
        log_x -= a.step[i];
        a.weight[i] = a.log_l[i] > -DBL_MAX ? share : 0;
        sum2 += a.weight[i] * a.weight[i];
        if (a.weight[i] > 0) {
            r->information += a.weight[i] * a.log_l[i];
        }
    }
    r->ess = 1 / sum2;
    return BML_MCMC_OK;
}

/* The result of bml_mcmc__nested_evidence under s->other: the points keep their volumes. The new weights differ from
   the old by more than the volumes' errors; that part of the error of ln Z is the delta method's for a mean of ratios.
   */
static int bml_mcmc__nested_other_evidence(bml_mcmc_nested *s, bml_mcmc_nested_result *r) {
    bml_mcmc__sorted a = bml_mcmc__nested_sorted_arrays(s);
    double *share = a.birth;
    double log_x = 0;
    double top = -BML_MCMC__INF;
    double z = 0;
    double sum2 = 0;
    double moved = 0;
    for (ptrdiff_t i = 0; i < a.n; i++) {
        share[i] = s->other[i] + log_x + log(bml_mcmc__point_volume(a.step, i, a.n));
        log_x -= a.step[i];
        top = share[i] > top ? share[i] : top;
    }
    if (top == -BML_MCMC__INF) {
        return bml_mcmc__fail(s->message, BML_MCMC_NO_SUPPORT, "-infinity at all points");
    }
    for (ptrdiff_t i = 0; i < a.n; i++)
        z += exp(share[i] - top);
    r->log_z = top + log(z);
    r->information = -r->log_z;
    for (ptrdiff_t i = 0; i < a.n; i++) {
        double w = exp(share[i] - r->log_z);
        moved += (w - a.weight[i]) * (w - a.weight[i]);
        sum2 += w * w;
        if (w > 0) {
            r->information += w * s->other[i];
        }
        a.log_l[i] = s->other[i];
        a.weight[i] = w;
    }
    r->log_z_error = sqrt(r->log_z_error * r->log_z_error + moved);
    r->ess = 1 / sum2;
    return BML_MCMC_OK;
}

/* p-value of Kolmogorov and Smirnov's test that x[n], sorted here, is uniform on (0,1) (Stephens 1970). */
static double bml_mcmc__ks_uniform(double *x, ptrdiff_t n) {
    double root = sqrt((double)n);
    double d = 0;
    double p = 0;
    double sign = 2;
    bml_mcmc__sort_doubles(x, n);
    for (ptrdiff_t i = 0; i < n; i++) {
        double low = x[i] - (double)i / (double)n;
        double high = (double)(i + 1) / (double)n - x[i];
        d = low > d ? low : d;
        d = high > d ? high : d;
    }
    d *= root + 0.12 + 0.11 / root;
    if (d < 0.3) {
        return 1;
    }
    for (int j = 1; j < 100; j++) {
        p += sign * exp(-2.0 * j * j * d * d);
        sign = -sign;
    }
    return bml_mcmc__clamp(p, 0, 1);
}

/* The whole run at once finds what is always wrong, its pieces of live_points find what is wrong for a while; the
   smaller p-value counts, corrected for the number of looks. */
static int bml_mcmc__nested_rank_test(bml_mcmc_nested *s, double *p_value) {
    ptrdiff_t n = bml_mcmc__nested_n_points(s);
    ptrdiff_t used = 0;
    ptrdiff_t pieces = 0;
    double worst = 1;
    double *x = bml_mcmc__doubles(n + 1, 1);
    if (!x) {
        return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "rank test");
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        double rank = *bml_mcmc__nested_value(s, i, BML_MCMC__RANK);
        if (rank == rank) {
            x[used++] = rank;
        }
    }
    for (ptrdiff_t i = 0; i + s->K <= used; i += s->K) {
        double p = bml_mcmc__ks_uniform(x + i, s->K);
        worst = p < worst ? p : worst;
        pieces++;
    }
    double p = used ? bml_mcmc__ks_uniform(x, used) : 1;
    if (pieces) {
        if (!(worst < 1)) {
            worst = 0.999999;
        }
        worst = -expm1((double)pieces * log1p(-worst));
        p = p < worst ? p : worst;
        p = p * (2 - p);
    }
    *p_value = p;
    BML_MCMC_FREE(x);
    return BML_MCMC_OK;
}

/* The next dynamic pass covers the part of the run that matters (Higson et al. 2019, eq. 12-14): for the error of ln Z
   the evidence above a point over the number of live points there, for the ESS the weight of the point. Points *first
   to *last have at least a quarter of the most. */
static void bml_mcmc__nested_plan_range(const bml_mcmc_nested *s, int evidence, ptrdiff_t *first, ptrdiff_t *last) {
    bml_mcmc__sorted a = bml_mcmc__nested_sorted_arrays(s);
    double most = 0;
    *first = a.n;
    *last = 0;
    for (int look = 0; look < 2; look++) {
        double above = 0;
        for (ptrdiff_t i = a.n; i-- > 0;) {
            above += a.weight[i];
            double matters = evidence ? above * a.step[i] : a.weight[i];
            if (i >= a.n - s->K / 2) {
                continue;
            }
            if (look == 0 && matters > most) {
                most = matters;
            }
            if (look == 0 || !(matters >= 0.25 * most)) {
                continue;
            }
            *first = i;
            if (!*last) {
                *last = i;
            }
        }
    }
}

/* The error of ln Z as the pass climbs: of its variance, sum (evidence above)^2/n_i^2, the part below the threshold is
   taken by n_i + K points instead of n_i. */
static void bml_mcmc__nested_plan_errors(bml_mcmc_nested *s, const bml_mcmc_nested_result *r, ptrdiff_t first,
                                         ptrdiff_t last) {
    bml_mcmc__nested_state *now = &s->now;
    bml_mcmc__sorted a = bml_mcmc__nested_sorted_arrays(s);
    double all = 0;
    double above = 1;
    double gain = 0;
    ptrdiff_t at = first;
    double *part = a.birth; /* [n] of the variance */
    for (ptrdiff_t i = 0; i < a.n; i++) {
        part[i] = above * above * a.step[i] * a.step[i];
        above -= a.weight[i];
        all += part[i];
    }
    for (ptrdiff_t j = 0; j < BML_MCMC__PLAN; j++) {
        ptrdiff_t next = first + (last - first) * j / (BML_MCMC__PLAN - 1);
        for (; at < next; at++)
            gain += part[at] * (double)s->K / (1 / a.step[at] + (double)s->K);
        now->plan_log_l[j] = a.log_l[bml_mcmc__clamp_int(next, 0, a.n - 1)];
        now->plan_error[j] = r->log_z_error * sqrt(all > gain ? 1 - gain / all : 0);
    }
}

static void bml_mcmc__nested_plan_pass(bml_mcmc_nested *s, const bml_mcmc_nested_result *r) {
    bml_mcmc__nested_state *now = &s->now;
    int evidence = s->config.error > 0 && !(r->log_z_error <= s->config.error);
    ptrdiff_t first;
    ptrdiff_t last;
    bml_mcmc__nested_plan_range(s, evidence, &first, &last);
    now->low = first > 0 && first < s->sorted_n ? r->log_likelihood[first - 1] : -BML_MCMC__INF;
    if (first > 0 && now->low < -DBL_MAX) {
        now->low = -DBL_MAX;
    }
    now->high = r->log_likelihood[last];
    bml_mcmc__nested_plan_errors(s, r, first, last);
    for (ptrdiff_t i = 0; i < bml_mcmc__nested_n_points(s); i++)
        *bml_mcmc__nested_value(s, i, BML_MCMC__LIVE) = 0;
    now->pass++;
    now->pass_over = 0;
    now->threshold = now->low;
    now->efficiency = 0.3;
    s->lists_good = 0;
}

/* >> nested sampling: create, run, results */

static const bml_mcmc__rule bml_mcmc__nested_rules[9] = {
    {"n_dim", offsetof(bml_mcmc_nested_config, n_dim), BML_MCMC__INT, 1, 1000, 0},
    {"live_points", offsetof(bml_mcmc_nested_config, live_points), BML_MCMC__INT, 0, 1000000, 0},
    {"replace", offsetof(bml_mcmc_nested_config, replace), BML_MCMC__INT, 0, 500000, 0},
    {"method", offsetof(bml_mcmc_nested_config, method), BML_MCMC__INT, 0, BML_MCMC_NESTED_SLICE, 0},
    {"sweeps", offsetof(bml_mcmc_nested_config, sweeps), BML_MCMC__INT, 0, 1000, 0},
    {"nan_policy", offsetof(bml_mcmc_nested_config, nan_policy), BML_MCMC__INT, 0, 1, 0},
    {"remaining", offsetof(bml_mcmc_nested_config, remaining), BML_MCMC__REAL, 1e-300, 0.999999, 0.01},
    {"error", offsetof(bml_mcmc_nested_config, error), BML_MCMC__REAL, 0, DBL_MAX, 0},
    {"min_ess", offsetof(bml_mcmc_nested_config, min_ess), BML_MCMC__REAL, 0, DBL_MAX, 0},
};

static int bml_mcmc__nested_resolve(bml_mcmc_nested *s) {
    bml_mcmc_nested_config *c = &s->config;
    if (!c->log_likelihood) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "log_likelihood is missing");
    }
    if (!c->prior == !c->transform) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT,
                              "either prior or transform must be given, and not both");
    }
    int status = bml_mcmc__apply_rules(c, bml_mcmc__nested_rules, 9, s->message);
    if (status) return status;
    if (c->prior && c->prior->n_dim != c->n_dim) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "the prior has %d dimensions, the sampler %d",
                              (int)c->prior->n_dim, c->n_dim);
    }
    int least = c->n_dim + 1 > 4 ? c->n_dim + 1 : 4;
    if (!c->live_points) {
        c->live_points = 10 * c->n_dim > 400 ? 10 * c->n_dim : 400;
    }
    if (c->live_points < least) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "live_points = %d: at least %d for %d dimensions",
                              c->live_points, least, c->n_dim);
    }
    if (!c->replace) {
        c->replace = c->live_points / 5 > 0 ? c->live_points / 5 : 1;
    }
    if (c->replace > c->live_points / 2) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT,
                              "replace = %d: must be in [1, %d], half of live_points", c->replace, c->live_points / 2);
    }
    return BML_MCMC_OK;
}

static ptrdiff_t bml_mcmc__nested_layout(bml_mcmc_nested *s, double *base) {
    bml_mcmc__region *r = &s->region;
    ptrdiff_t used = bml_mcmc__room(1, sizeof *s);
    ptrdiff_t d = s->d;
    ptrdiff_t n = r->most;
    s->wrapped = (int *)bml_mcmc__take(base, &used, bml_mcmc__room(d, sizeof *s->wrapped));
    s->jump = bml_mcmc__take(base, &used, d + 1);
    s->jump_before = bml_mcmc__take(base, &used, d + 1);
    r->index = (ptrdiff_t *)bml_mcmc__take(base, &used, bml_mcmc__room(n, sizeof *r->index));
    r->x = bml_mcmc__take(base, &used, n * d);
    r->y = bml_mcmc__take(base, &used, n * d);
    r->label = (int *)bml_mcmc__take(base, &used, bml_mcmc__room(n, sizeof *r->label));
    r->group = (int *)bml_mcmc__take(base, &used, bml_mcmc__room(n, sizeof *r->group));
    r->queue = (int *)bml_mcmc__take(base, &used, bml_mcmc__room(n, sizeof *r->queue));
    r->sorted = bml_mcmc__take(base, &used, n + 1);
    r->key = (bml_mcmc__key *)bml_mcmc__take(base, &used, bml_mcmc__room(n, sizeof *r->key));
    r->cut = bml_mcmc__take(base, &used, d);
    r->L = bml_mcmc__take(base, &used, d * d);
    r->A = bml_mcmc__take(base, &used, d * d);
    r->scratch = bml_mcmc__take(base, &used, 4 * d);
    return used;
}

static void bml_mcmc__nested_begin(bml_mcmc_nested *s) {
    const bml_mcmc_nested_config *c = &s->config;
    int sweeps = c->sweeps ? c->sweeps : 3 + c->n_dim / 12;
    s->now.method = BML_MCMC_NESTED_REGION;
    if (c->method == BML_MCMC_NESTED_SLICE) {
        s->now.method = BML_MCMC_NESTED_SLICE;
    }
    s->now.sweeps = (uint64_t)sweeps;
    s->now.low = s->now.threshold = -BML_MCMC__INF;
    s->now.log_z = -DBL_MAX;
    s->now.remaining = s->now.efficiency = 1;
}

BML_MCMC_DEF int(bml_mcmc_nested_create)(bml_mcmc_nested **s, const bml_mcmc_nested_config *config, char *why) {
    bml_mcmc_nested draft;
    if (why) {
        why[0] = 0;
    }
    if (!s) {
        return bml_mcmc__say(why, BML_MCMC_BAD_ARGUMENT, "there is no place for the sampler");
    }
    *s = NULL;
    if (!config) {
        return bml_mcmc__say(why, BML_MCMC_BAD_ARGUMENT, "config is missing");
    }
    memset(&draft, 0, sizeof draft);
    draft.config = *config;
    int status = bml_mcmc__nested_resolve(&draft);
    if (status) {
        return bml_mcmc__say(why, status, draft.message);
    }
    draft.d = draft.config.n_dim;
    draft.K = draft.config.live_points;
    draft.row = 2 * draft.d + BML_MCMC__EXTRA;
    draft.region.d = draft.d;
    draft.region.most = 2 * draft.K > 1000 ? 2 * draft.K : 1000;
    double *block = bml_mcmc__doubles(bml_mcmc__nested_layout(&draft, NULL), 1);
    if (!block) {
        return bml_mcmc__say(why, BML_MCMC_NO_MEMORY, NULL);
    }
    bml_mcmc_nested *made = (bml_mcmc_nested *)block;
    *made = draft;
    bml_mcmc__nested_layout(made, block);
    for (ptrdiff_t k = 0; k < made->d && config->wrapped; k++)
        made->wrapped[k] = config->wrapped[k] != 0;
    made->config.wrapped = NULL;
    bml_mcmc__nested_begin(made);
    *s = made;
    return BML_MCMC_OK;
}

BML_MCMC_DEF void bml_mcmc_nested_free(bml_mcmc_nested *s) {
    if (!s) {
        return;
    }
    BML_MCMC_FREE(s->region.clusters);
    BML_MCMC_FREE(s->point);
    BML_MCMC_FREE(s->live);
    BML_MCMC_FREE(s->known);
    BML_MCMC_FREE(s->waiting);
    BML_MCMC_FREE(s->order);
    BML_MCMC_FREE(s->sorted);
    BML_MCMC_FREE(s->other);
    BML_MCMC_FREE(s->trial);
    BML_MCMC_FREE(s);
}

BML_MCMC_DEF const char *bml_mcmc_nested_message(const bml_mcmc_nested *s) {
    return s ? s->message : "";
}

BML_MCMC_DEF int bml_mcmc_nested_run(bml_mcmc_nested *s, uint64_t evaluations) {
    bml_mcmc_nested_result r;
    if (!s) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    uint64_t start = s->now.evaluations;
    s->message[0] = 0;
    BML_MCMC_FREE(s->other);
    s->other = NULL;
    for (;;) {
        if (s->now.pass_over) {
            int status = bml_mcmc_nested_get_result(s, &r);
            if (status) return status;
            if (r.converged) {
                return BML_MCMC_OK;
            }
        }
        if (evaluations && s->now.evaluations - start >= evaluations) {
            return bml_mcmc__fail(s->message, BML_MCMC_NOT_CONVERGED,
                                  "%llu evaluations made; the live points could still hold %.3g of the evidence",
                                  (unsigned long long)s->now.evaluations, s->now.remaining);
        }
        if (s->now.pass_over) {
            bml_mcmc__nested_plan_pass(s, &r);
        }
        int status = bml_mcmc__nested_round(s);
        if (status) return status;
    }
}

/* The result's numbers, and its arrays in s->sorted. */
static int bml_mcmc__nested_weigh(bml_mcmc_nested *s, bml_mcmc_nested_result *r) {
    memset(r, 0, sizeof *r);
    if (!s->now.n_points) {
        return bml_mcmc__fail(s->message, BML_MCMC_NOT_STARTED, "no round has been made");
    }
    bml_mcmc__nested_sort_points(s, NULL, bml_mcmc__nested_n_points(s));
    if (s->order[s->n_order - 1].value == -DBL_MAX) {
        return bml_mcmc__fail(s->message, BML_MCMC_NO_SUPPORT, "-infinity at all points so far");
    }
    int status = bml_mcmc__nested_evidence(s, r);
    if (!status && s->other) {
        status = bml_mcmc__nested_other_evidence(s, r);
    }
    if (!status) {
        status = bml_mcmc__nested_rank_test(s, &r->rank_p);
    }
    return status;
}

BML_MCMC_DEF int bml_mcmc_nested_get_result(bml_mcmc_nested *s, bml_mcmc_nested_result *r) {
    if (!s || !r) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    const bml_mcmc_nested_config *c = &s->config;
    int status = bml_mcmc__nested_weigh(s, r);
    if (status) return status;
    bml_mcmc__sorted a = bml_mcmc__nested_sorted_arrays(s);
    int error_reached = !(c->error > 0) || r->log_z_error <= c->error;
    r->rank_ok = r->rank_p >= 0.001;
    r->remaining = s->now.remaining;
    r->converged = s->now.pass_over && error_reached && !(r->ess < c->min_ess);
    r->evaluations = s->now.evaluations;
    r->slice_evaluations = s->now.slice_evaluations;
    r->nans = s->now.nans;
    r->passes = (int)s->now.pass;
    r->sweeps = s->now.slice_evaluations ? (int)s->now.sweeps : 0;
    r->sweep_correlation = s->now.correlation;
    r->n_points = (size_t)a.n;
    r->theta = a.theta;
    r->log_likelihood = a.log_l;
    r->weight = a.weight;
    for (ptrdiff_t i = 0; i < a.n && a.log_l[i] == -DBL_MAX; i++)
        a.log_l[i] = -BML_MCMC__INF;
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_nested_reweigh(bml_mcmc_nested *s, bml_mcmc_nested_result *result,
                                         const double *log_likelihood) {
    bml_mcmc_nested_result r;
    if (!s || !log_likelihood) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    int status = bml_mcmc_nested_get_result(s, &r);
    if (status) return status;
    ptrdiff_t n = s->sorted_n;
    for (ptrdiff_t i = 0; i < n; i++) {
        int wrong = bml_mcmc__judge(log_likelihood[i]);
        if (wrong) {
            return bml_mcmc__fail(s->message, wrong, "new log-likelihood of point %lld", (long long)i);
        }
    }
    double *other = bml_mcmc__doubles(n, 1);
    if (!other) {
        return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "%lld points", (long long)n);
    }
    bml_mcmc__copy(other, log_likelihood, n);
    BML_MCMC_FREE(s->other);
    s->other = other;
    status = bml_mcmc_nested_get_result(s, result ? result : &r);
    if (!status) {
        return status;
    }
    BML_MCMC_FREE(s->other);
    s->other = NULL;
    return status;
}

BML_MCMC_DEF int bml_mcmc_nested_draw(bml_mcmc_nested *s, double *theta, double *log_likelihood, size_t n,
                                      uint64_t seed) {
    bml_mcmc_nested_result r;
    bml_mcmc_rng rng;
    int status = bml_mcmc_nested_get_result(s, &r);
    if (status) return status;
    if (!theta || !n || n > PTRDIFF_MAX) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "theta is missing, or n is 0 or too large");
    }
    ptrdiff_t d = s->d;
    ptrdiff_t j = 0;
    double sum = r.weight[0];
    bml_mcmc_rng_init(&rng, seed, 0);
    double u = bml_mcmc_rng_uniform(&rng);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n; i++) { /* draw i goes to a random place among those so far */
        ptrdiff_t at = (ptrdiff_t)(bml_mcmc_rng_uniform(&rng) * (double)(i + 1));
        while (j < s->sorted_n - 1 && sum < ((double)i + u) / (double)n)
            sum += r.weight[++j];
        memmove(theta + i * d, theta + at * d, sizeof(double) * (size_t)d);
        bml_mcmc__copy(theta + at * d, r.theta + j * d, d);
        if (!log_likelihood) {
            continue;
        }
        log_likelihood[i] = log_likelihood[at];
        log_likelihood[at] = r.log_likelihood[j];
    }
    return BML_MCMC_OK;
}

/* Parameter k from the weighted points. s->order has room for all of them, and serves no more. */
static void bml_mcmc__nested_weighted_column(bml_mcmc_summary *out, bml_mcmc_nested *s, ptrdiff_t k) {
    static const double quantile[3] = {0.5, 0.15865525393145705, 0.8413447460685429};
    bml_mcmc__sorted a = bml_mcmc__nested_sorted_arrays(s);
    bml_mcmc__key *key = s->order;
    double value[3] = {0, 0, 0};
    double sum2 = 0;
    double before = 0;
    memset(out, 0, sizeof *out);
    for (ptrdiff_t i = 0; i < a.n; i++) {
        key[i].value = a.theta[i * s->d + k];
        key[i].tie = 0;
        key[i].index = i;
        out->mean += a.weight[i] * key[i].value;
    }
    bml_mcmc__sort_keys(key, a.n);
    for (ptrdiff_t i = 0; i < a.n; i++) {
        double w = a.weight[key[i].index];
        double x = key[i].value;
        sum2 += w * (x - out->mean) * (x - out->mean);
        for (int q = 0; q < 3; q++)
            if (before <= quantile[q] && before + w > quantile[q]) {
                value[q] = x;
            }
        before += w;
    }
    out->sd = sqrt(sum2);
    out->median = value[0];
    out->minus = value[0] - value[1];
    out->plus = value[2] - value[0];
    out->tau = out->rhat = BML_MCMC__NAN;
}

BML_MCMC_DEF int bml_mcmc_nested_summary(bml_mcmc_nested *s, bml_mcmc_summary *out) {
    bml_mcmc_nested_result r;
    int status = out ? bml_mcmc_nested_get_result(s, &r) : BML_MCMC_BAD_ARGUMENT;
    if (status) return status;
    for (ptrdiff_t k = 0; k < s->d; k++) {
        bml_mcmc__nested_weighted_column(out + k, s, k);
        out[k].ess = out[k].ess_bulk = out[k].ess_tail = r.ess;
    }
    return BML_MCMC_OK;
}

/* >> nested sampling: verdict
   ln Z is checked by something that shares nothing with the run but where it found the posterior: fresh draws from a
   mixture of t densities fitted to the result, in y = Phi^-1(cube), where the prior is a standard normal and walls lie
   at infinity. Z = mean of L(y) N(y; 0, 1)/q(y) (importance sampling). It sees a run that lost volume; it sees no mode
   that the run never met. */

enum { BML_MCMC__CHECK_FIT = 4000 };  /* posterior draws that the mixture is fitted to, at most */
enum { BML_MCMC__CHECK_BATCH = 500 }; /* likelihoods asked for together */
#define BML_MCMC__CHECK_LEAST 2000.0  /* likelihoods, at least; twice as many where they are not enough, */
#define BML_MCMC__CHECK_MOST 50000.0  /* and at most */
#define BML_MCMC__CHECK_ESS 100.0     /* of the importance weights, below which they say little, */
#define BML_MCMC__CHECK_FEW 5.0       /* and nothing */
#define BML_MCMC__CHECK_PARETO 0.7 /* shape of the largest weights: beyond it their mean has no error worth the name */
#define BML_MCMC__CHECK_SIGMA 3.0  /* errors that run and check may differ by, */
#define BML_MCMC__MEMORY 0.2       /* correlation of new points with their start that is none */
#define BML_MCMC__CHECK_MEMORY 2.5 /* and where slices remember their start */

typedef struct bml_mcmc__check {
    bml_mcmc__half fit;
    double *y;        /* [n][d] what is fitted */
    double *proposal; /* [d] one draw */
    double log_norm;  /* of a t density in d dimensions */
    double top;       /* the largest log weight so far */
    double sum;       /* of weights, in units of exp(top) */
    double sum2;
    double draws;
    double *log_weight; /* [most + a batch] of all draws */
} bml_mcmc__check;

static ptrdiff_t bml_mcmc__check_layout(bml_mcmc__check *c, double *base, double most) {
    ptrdiff_t used = 0;
    c->log_weight = bml_mcmc__take(base, &used, (ptrdiff_t)most + BML_MCMC__CHECK_BATCH);
    c->y = bml_mcmc__take(base, &used, c->fit.n * c->fit.d);
    c->proposal = bml_mcmc__take(base, &used, c->fit.d);
    bml_mcmc__density_layout(&c->fit, base, &used);
    c->fit.other = c->y;
    return used;
}

/* c->y = equally weighted points of the result, in the coordinates of the check (systematic resampling). */
static void bml_mcmc__nested_check_points(bml_mcmc__check *c, const bml_mcmc_nested *s) {
    bml_mcmc__sorted a = bml_mcmc__nested_sorted_arrays(s);
    ptrdiff_t j = 0;
    double sum = a.weight[0];
    for (ptrdiff_t i = 0; i < c->fit.n; i++) {
        while (j < a.n - 1 && sum < ((double)i + 0.5) / (double)c->fit.n)
            sum += a.weight[++j];
        const double *cube = bml_mcmc__nested_point(s, s->order[j].index);
        for (ptrdiff_t k = 0; k < s->d; k++)
            c->y[i * s->d + k] = bml_mcmc__phi_inverse(bml_mcmc__clamp(cube[k], 1e-15, 1 - 1e-15));
    }
}

static int bml_mcmc__nested_check_fit(bml_mcmc__check *c, const bml_mcmc_nested *s) {
    bml_mcmc_rng rng = bml_mcmc__numbered_stream(s->config.seed, BML_MCMC__CHECK_STREAM, 0);
    double d = (double)s->d;
    double nu = BML_MCMC__DOF;
    c->fit.em_steps = BML_MCMC__EM_STEPS_REFERENCE;
    c->fit.move.kind = BML_MCMC_MIXTURE;
    c->fit.move.scale = 1;
    c->fit.move.count = (int)bml_mcmc__clamp_int(c->fit.n / (25 * s->d), 1, BML_MCMC_MAX_COUNT);
    bml_mcmc__nested_check_points(c, s);
    if (!bml_mcmc__fit_mixture(&c->fit, &rng)) {
        return 0;
    }
    c->log_norm = bml_mcmc__log_gamma(0.5 * (nu + d)) - bml_mcmc__log_gamma(0.5 * nu);
    c->log_norm -= 0.5 * d * log(nu * 3.141592653589793) + c->fit.log_det;
    c->top = -BML_MCMC__INF;
    return 1;
}

/* A fresh draw: its point of the cube, and *log_ratio = ln(prior/q). */
static void bml_mcmc__check_draw(bml_mcmc__check *c, double *cube, double *log_ratio, bml_mcmc_rng *rng) {
    ptrdiff_t d = c->fit.d;
    double *z = c->fit.scratch + d;
    bml_mcmc__mixture_draw(z, &c->fit, rng);
    bml_mcmc__from_z(c->proposal, z, &c->fit);
    *log_ratio = -(c->log_norm + bml_mcmc__mixture_log_q(z, &c->fit));
    for (ptrdiff_t k = 0; k < d; k++) {
        double y = c->proposal[k];
        *log_ratio -= 0.5 * y * y + 0.9189385332046727; /* ln sqrt(2 pi) */
        cube[k] = bml_mcmc__clamp(bml_mcmc__phi(y), 0, 1);
    }
}

static void bml_mcmc__check_add(bml_mcmc__check *c, double log_weight) {
    c->log_weight[(ptrdiff_t)c->draws] = log_weight;
    c->draws++;
    if (!(log_weight > -DBL_MAX)) {
        return;
    }
    if (log_weight > c->top) {
        double shrink = exp(c->top - log_weight);
        c->sum *= shrink;
        c->sum2 *= shrink * shrink;
        c->top = log_weight;
    }
    double w = exp(log_weight - c->top);
    c->sum += w;
    c->sum2 += w * w;
}

static double bml_mcmc__check_ess(const bml_mcmc__check *c) {
    return c->sum2 > 0 ? c->sum * c->sum / c->sum2 : 0;
}

/* The standard deviation of ln of the mean weight. */
static double bml_mcmc__check_error(const bml_mcmc__check *c) {
    double ess = bml_mcmc__check_ess(c);
    return ess > 0 ? sqrt(1 / ess - 1 / c->draws) : BML_MCMC__INF;
}

/* Batches of fresh draws until the error is half of the run's, or `most` are made. */
static int bml_mcmc__nested_check_run(bml_mcmc__check *c, bml_mcmc_nested *s, double wanted, double most) {
    double log_ratio[BML_MCMC__CHECK_BATCH];
    int status = bml_mcmc__nested_trials(s, BML_MCMC__CHECK_BATCH);
    for (uint64_t batch = 1; !status && c->draws < most; batch++) {
        bml_mcmc_rng rng = bml_mcmc__numbered_stream(s->config.seed, BML_MCMC__CHECK_STREAM, batch);
        for (ptrdiff_t i = 0; i < BML_MCMC__CHECK_BATCH; i++)
            bml_mcmc__check_draw(c, s->trial_cube + i * s->d, log_ratio + i, &rng);
        status = bml_mcmc__nested_try(s, BML_MCMC__CHECK_BATCH);
        for (ptrdiff_t i = 0; i < BML_MCMC__CHECK_BATCH && !status; i++)
            bml_mcmc__check_add(c, log_ratio[i] + s->trial_log_l[i]);
        int enough = c->draws >= BML_MCMC__CHECK_LEAST && bml_mcmc__check_ess(c) >= BML_MCMC__CHECK_ESS;
        if (enough && bml_mcmc__check_error(c) <= wanted) {
            break;
        }
    }
    return status;
}

/* The check's numbers in *v; the sampler's counts stay as they were. */
static int bml_mcmc__nested_check_evidence(bml_mcmc_verdict *v, bml_mcmc_nested *s, const bml_mcmc_nested_result *r) {
    bml_mcmc__check c;
    bml_mcmc__nested_state before = s->now;
    memset(&c, 0, sizeof c);
    c.fit.d = s->d;
    c.fit.n = (ptrdiff_t)bml_mcmc__clamp(r->ess, 1, BML_MCMC__CHECK_FIT);
    if (c.fit.n < 4 * (s->d + 1)) {
        return BML_MCMC_OK; /* said below: no check */
    }
    double most = bml_mcmc__clamp(0.1 * (double)r->evaluations, 2 * BML_MCMC__CHECK_LEAST, BML_MCMC__CHECK_MOST);
    double *block = bml_mcmc__doubles(bml_mcmc__check_layout(&c, NULL, most), 1);
    if (!block) {
        return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "out of memory");
    }
    bml_mcmc__check_layout(&c, block, most);
    int status = BML_MCMC_OK;
    if (bml_mcmc__nested_check_fit(&c, s)) {
        status = bml_mcmc__nested_check_run(&c, s, 0.5 * r->log_z_error, most);
    }
    s->now = before;
    v->check_evaluations = (uint64_t)c.draws;
    v->check_ess = bml_mcmc__check_ess(&c);
    if (c.sum > 0) {
        v->check_log_z = c.top + log(c.sum / c.draws);
        v->check_log_z_error = bml_mcmc__check_error(&c);
        v->check_pareto = bml_mcmc__pareto_shape(c.log_weight, (ptrdiff_t)c.draws);
    }
    BML_MCMC_FREE(block);
    return status;
}

/* ln Z of the run and of the check; correlation of new points with their start. Points that remember are fewer than
   they seem, and the run's error is that of independent ones: then the run stands only if a check that can be trusted
   confirms it. Few effective draws leave mass out and so err downwards: that they find more than the run is evidence
   all the same. */
static void bml_mcmc__nested_judge_evidence(bml_mcmc_verdict *v, const bml_mcmc_nested *s,
                                            const bml_mcmc_nested_result *r) {
    double difference = v->check_log_z - r->log_z;
    double rounding = 1 / (double)s->K; /* of the trapezoid rule */
    double error =
        sqrt(r->log_z_error * r->log_z_error + v->check_log_z_error * v->check_log_z_error + rounding * rounding);
    int remembers = r->sweeps && r->sweep_correlation > BML_MCMC__MEMORY;
    double sigma = remembers ? BML_MCMC__CHECK_MEMORY : BML_MCMC__CHECK_SIGMA;
    int checked = v->check_ess >= BML_MCMC__CHECK_ESS && v->check_pareto < BML_MCMC__CHECK_PARETO;
    int more = v->check_ess >= BML_MCMC__CHECK_FEW && difference > sigma * error;
    if (more || (checked && !(fabs(difference) <= sigma * error))) {
        bml_mcmc_reason *reason = bml_mcmc__reason(v, BML_MCMC_REASON_EVIDENCE, 1, -1);
        reason->value = fabs(difference) / error;
        reason->limit = sigma;
        snprintf(reason->text, sizeof reason->text,
                 "ln Z is %.4f +- %.4f by the run, but %.4f +- %.4f by %.0f fresh draws: %.1f errors apart", r->log_z,
                 r->log_z_error, v->check_log_z, v->check_log_z_error, (double)v->check_evaluations,
                 fabs(difference) / error);
        bml_mcmc__mend_commas(reason->text);
    }
    if (!checked && !more && !(v->check_ess >= BML_MCMC__CHECK_ESS)) {
        bml_mcmc__add_reason(v, BML_MCMC_REASON_UNCHECKED, 0,
                             "fresh draws could not check ln Z: their effective number is",
                             v->check_ess == v->check_ess ? v->check_ess : 0, BML_MCMC__CHECK_ESS);
    } else if (!checked && !more) {
        bml_mcmc__add_reason(v, BML_MCMC_REASON_UNCHECKED, 0,
                             "fresh draws could not check ln Z: the Pareto shape of their largest weights is",
                             v->check_pareto, BML_MCMC__CHECK_PARETO);
    }
    if (remembers) {
        bml_mcmc__add_reason(v, BML_MCMC_REASON_CORRELATION, !checked,
                             "new points remember where their slices began: their correlation is", r->sweep_correlation,
                             BML_MCMC__MEMORY);
    }
}

/* The posterior at the walls of the cube; wrapped coordinates have none. */
static void bml_mcmc__nested_edges(bml_mcmc_verdict *v, const bml_mcmc_nested *s) {
    bml_mcmc__sorted a = bml_mcmc__nested_sorted_arrays(s);
    const bml_mcmc_prior *prior = s->config.prior;
    for (ptrdiff_t k = 0; k < s->d; k++) {
        double mass[2] = {0, 0};
        if (s->wrapped[k]) {
            continue;
        }
        for (ptrdiff_t i = 0; i < a.n; i++) {
            double place = bml_mcmc__nested_point(s, s->order[i].index)[k];
            if (prior) {
                place = bml_mcmc__prior_place(prior, k, a.theta + i * s->d);
            }
            if (place < BML_MCMC__EDGE_WIDTH) {
                mass[0] += a.weight[i];
            }
            if (place > 1 - BML_MCMC__EDGE_WIDTH) {
                mass[1] += a.weight[i];
            }
        }
        if (prior && !bml_mcmc__is_finite(prior->param[k].lower)) {
            mass[0] = 0;
        }
        if (prior && !bml_mcmc__is_finite(prior->param[k].upper)) {
            mass[1] = 0;
        }
        bml_mcmc__say_edges(v, k, mass, s->config.names);
    }
}

BML_MCMC_DEF int bml_mcmc_nested_verdict(bml_mcmc_verdict *v, bml_mcmc_nested *s) {
    bml_mcmc_nested_result r;
    if (!v || !s) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    bml_mcmc__verdict_begin(v);
    int status = bml_mcmc_nested_get_result(s, &r);
    int check = !s->other && s->config.check_evidence != BML_MCMC_UNCHECKED;
    if (!status && check) {
        status = bml_mcmc__nested_check_evidence(v, s, &r);
    }
    if (status) {
        return v->status = status;
    }
    v->ess_bulk = v->ess_tail = r.ess;
    if (!r.converged) {
        bml_mcmc__add_reason(v, BML_MCMC_REASON_UNFINISHED, 1,
                             "the run has not reached its error, its ESS or its end: the share of the live points is",
                             r.remaining, s->config.remaining);
    }
    if (!r.rank_ok) {
        bml_mcmc__add_reason(v, BML_MCMC_REASON_RANK, 1,
                             "new points did not fall evenly among the live ones: the insertion-rank p-value is",
                             r.rank_p, 0.001);
    }
    if (!(r.ess >= 100)) {
        bml_mcmc__add_reason(v, BML_MCMC_REASON_ESS, 1, "the effective posterior samples are", r.ess, 100);
    }
    bml_mcmc__nested_edges(v, s);
    if (check) {
        bml_mcmc__nested_judge_evidence(v, s, &r);
    }
    bml_mcmc__say_nans(v, s->now.nans);
    s->message[0] = 0;
    return v->status;
}

/* >> nested sampling: save and load */

/* The words that a state must share with the sampler it is loaded into. */
static void bml_mcmc__nested_fingerprint(uint64_t *words, const bml_mcmc_nested *s) {
    const uint64_t prime = 1099511628211u;
    memset(words, 0, 8 * BML_MCMC__FIXED);
    words[0] = (uint64_t)s->config.n_dim;
    words[1] = (uint64_t)s->config.live_points;
    words[2] = s->config.seed;
    words[3] = (uint64_t)s->config.method;
    words[4] = (uint64_t)s->config.sweeps;
    words[5] = (uint64_t)s->config.replace;
    for (ptrdiff_t k = 0; k < s->d; k++) {
        words[6] ^= (uint64_t)s->wrapped[k];
        words[6] = words[6] * prime + 1;
    }
}

static const ptrdiff_t bml_mcmc__now_words = (ptrdiff_t)(sizeof(bml_mcmc__nested_state) / 8);

static ptrdiff_t bml_mcmc__nested_words(const bml_mcmc_nested *s, ptrdiff_t n_points) {
    return BML_MCMC__HEAD + BML_MCMC__FIXED + 1 + bml_mcmc__now_words + s->d + 1 + n_points * s->row;
}

BML_MCMC_DEF size_t bml_mcmc_nested_save_size(const bml_mcmc_nested *s) {
    return s && s->now.n_points ? 8 * (size_t)bml_mcmc__nested_words(s, bml_mcmc__nested_n_points(s)) : 0;
}

BML_MCMC_DEF int bml_mcmc_nested_save(bml_mcmc_nested *s, void *buffer, size_t size) {
    uint64_t fixed[BML_MCMC__FIXED];
    unsigned char *at = (unsigned char *)buffer;
    if (!s) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    ptrdiff_t n = bml_mcmc__nested_n_points(s);
    ptrdiff_t words = n ? bml_mcmc__nested_words(s, n) : 0;
    bml_mcmc__nested_fingerprint(fixed, s);
    int status = bml_mcmc__save_head(s->message, &at, size, words, fixed, n);
    if (status) return status;
    bml_mcmc__put(&at, &s->now, bml_mcmc__now_words);
    bml_mcmc__put(&at, s->jump, s->d + 1);
    bml_mcmc__put(&at, s->point, n * s->row);
    bml_mcmc__seal(buffer, words, BML_MCMC__KIND_NESTED);
    return BML_MCMC_OK;
}

/* Could a run have left these counts? */
static int bml_mcmc__state_sane(const bml_mcmc__nested_state *now, ptrdiff_t n) {
    int counts = now->round <= BML_MCMC__LAST_STEP && now->evaluations <= BML_MCMC__LAST_STEP;
    counts = counts && now->pass <= 1000000 && now->pass_over <= 1 && now->n_points == (uint64_t)n;
    counts = counts && now->sweeps >= 1 && now->sweeps <= 1000 && now->sweeps_before <= 1000;
    counts = counts && now->sweeps_settled <= 1 && now->jumps <= BML_MCMC__LAST_STEP;
    counts = counts && now->slice_chains <= now->slice_calls && now->slice_calls <= now->evaluations;
    int method = now->method == BML_MCMC_NESTED_REGION || now->method == BML_MCMC_NESTED_SLICE;
    int levels = now->threshold == now->threshold && now->low == now->low && now->high == now->high;
    levels = levels && now->threshold <= DBL_MAX && now->log_x <= 0 && now->remaining >= 0;
    int rates = now->efficiency > 0 && now->efficiency <= 1 && now->probes >= 0 && now->probe_hits >= 0;
    rates = rates && bml_mcmc__is_finite(now->probes) && bml_mcmc__is_finite(now->probe_hits);
    rates = rates && bml_mcmc__is_finite(now->correlation) && bml_mcmc__is_finite(now->correlation_before);
    rates = rates && bml_mcmc__is_finite(now->log_x) && now->log_z == now->log_z;
    return counts && method && levels && rates;
}

/* Could a run have left this point? */
static int bml_mcmc__point_sane(const double *p, ptrdiff_t d) {
    const double *numbers = p + 2 * d;
    double log_l = numbers[BML_MCMC__LOG_L];
    double birth = numbers[BML_MCMC__BIRTH];
    double rank = numbers[BML_MCMC__RANK];
    double live = numbers[BML_MCMC__LIVE];
    int place = bml_mcmc__inside_cube(p, d) && bml_mcmc__all_finite(p + d, d);
    int born = bml_mcmc__is_finite(log_l) && birth < log_l;
    int ranked = rank != rank || (rank >= 0 && rank <= 1);
    int tied = numbers[BML_MCMC__TIE] > 0 && numbers[BML_MCMC__TIE] < 1;
    return place && born && ranked && tied && (live == 0 || live == 1);
}

/* The state's numbers, and all its points, must be possible; some of the points must have their likelihoods here too.
   */
static int bml_mcmc__nested_check_saved(bml_mcmc_nested *s, const unsigned char *at, ptrdiff_t n) {
    bml_mcmc__nested_state now;
    ptrdiff_t d = s->d;
    ptrdiff_t m = n < 50 ? n : 50;
    double *p = bml_mcmc__doubles(s->row + m, 1);
    if (!p) {
        return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "%lld points", (long long)n);
    }
    double *saved = p + s->row;
    int status = bml_mcmc__nested_trials(s, m);
    bml_mcmc__get(&now, &at, bml_mcmc__now_words);
    bml_mcmc__get(p, &at, d + 1);
    if (!status && !(bml_mcmc__state_sane(&now, n) && bml_mcmc__all_finite(p, d + 1))) {
        status = bml_mcmc__fail(s->message, BML_MCMC_BAD_STATE, "its counts are impossible");
    }
    ptrdiff_t taken = 0;
    for (ptrdiff_t i = 0; i < n && !status; i++) {
        bml_mcmc__get(p, &at, s->row);
        if (!bml_mcmc__point_sane(p, d)) {
            status = bml_mcmc__fail(s->message, BML_MCMC_BAD_STATE, "point %lld is impossible", (long long)i);
        }
        if (status || taken == m || i != taken * (n - 1) / (m > 1 ? m - 1 : 1)) {
            continue;
        }
        bml_mcmc__copy(s->trial_cube + taken * d, p, d);
        saved[taken++] = p[2 * d + BML_MCMC__LOG_L];
    }
    bml_mcmc__nested_state before = s->now;
    int forgive = s->forgive;
    if (!status) {
        status = bml_mcmc__nested_try(s, taken);
    }
    s->now = before;
    s->forgive = forgive;
    for (ptrdiff_t i = 0; i < taken && !status; i++)
        if (!bml_mcmc__same_value(saved[i], s->trial_log_l[i])) {
            status =
                bml_mcmc__fail(s->message, BML_MCMC_BAD_STATE, "log-likelihood %.10g saved, %.10g now: another problem",
                               saved[i], s->trial_log_l[i]);
        }
    BML_MCMC_FREE(p);
    return status;
}

BML_MCMC_DEF int bml_mcmc_nested_load(bml_mcmc_nested *s, const void *buffer, size_t size) {
    static const char *const names[7] = {"n_dim", "live_points", "seed", "method", "sweeps", "replace", "wrapped"};
    uint64_t fixed[BML_MCMC__FIXED];
    const unsigned char *at;
    ptrdiff_t n = 0;
    if (!s) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    bml_mcmc__expected want = {BML_MCMC__KIND_NESTED, fixed, names, 7, bml_mcmc__nested_words(s, 0), s->row};
    bml_mcmc__nested_fingerprint(fixed, s);
    int status = bml_mcmc__check_head(s->message, buffer, size, &want, &at, &n);
    if (!status && n < 1) {
        status = bml_mcmc__fail(s->message, BML_MCMC_BAD_STATE, "no points");
    }
    if (!status) {
        status = bml_mcmc__nested_check_saved(s, at, n);
    }
    if (!status) {
        status = bml_mcmc__nested_reserve(s, n);
    }
    if (status) return status;
    BML_MCMC_FREE(s->other);
    s->other = NULL;
    s->lists_good = 0;
    s->forgive = 0;
    bml_mcmc__get(&s->now, &at, bml_mcmc__now_words);
    bml_mcmc__get(s->jump, &at, s->d + 1);
    bml_mcmc__get(s->point, &at, n * s->row);
    s->message[0] = 0;
    return BML_MCMC_OK;
}
#endif /* BML_MCMC_NO_NESTED */

#ifndef BML_MCMC_NO_IMPORTANCE
/* >> importance: densities
   In the unit cube, where the prior is 1. A density q is a mixture of t densities, fitted as that of the ensemble's
   moves, times an acceptance a between `floor` and 1: a draw of the mixture is kept with probability a. The share kept,
   C = mean of a over all tries, is known as well as wanted, for tries cost no likelihood: q = mixture a/C. The
   acceptance follows a regression of the power of the likelihood, a = exp(regression - ln mixture - level), so that q
   is nearly proportional to it where the regression is good, and the floor keeps a tenth of the draws for the mixture
   alone, so that weights stay bounded where it is not (rejection control, Liu, Chen & Wong 1998, JASA 93, 1022).

   A coordinate x whose points have far heavier tails than a normal's is first drawn in, y = w asinh((x - c)/w) with c
   their median and w such that y is nearest to a normal: a Cauchy's tails become exponential, and products of such no
   longer reach out along the axes. dy/dx = 1/sqrt(1 + ((x - c)/w)^2).

   The regression is -sum of squares of functions of the coordinates z in which the mixture's points have unit
   covariance and of their products z_i z_j, whitened once more: linear ones and a hidden layer. What a Gaussian
   likelihood measures is such a sum; a thin curved sheet has one small direction in the space of products, which
   whitening makes as wide as the others; and beyond what it has learned it falls. Far below the posterior its target is
   drawn in to -25. */

enum { BML_MCMC__IMP_MOST_DIM = 32 };
enum { BML_MCMC__IMP_HIDDEN = 32 };
enum { BML_MCMC__IMP_SQUARES = 16 };
enum { BML_MCMC__IMP_MOST_FEATURES = 176 };
enum { BML_MCMC__IMP_FIT = 4000 };     /* points that the mixture is fitted to, at most */
enum { BML_MCMC__IMP_LESSON = 10000 }; /* and the regression, at most, */
enum { BML_MCMC__IMP_TEACH = 150000 }; /* shown so many of them, */
enum { BML_MCMC__IMP_EPOCHS = 40 };    /* but no more often than so, */
enum { BML_MCMC__IMP_MINIBATCH = 32 }; /* in batches of so many */
enum { BML_MCMC__IMP_PILOT = 4000 };   /* tries that the level is chosen by */
#define BML_MCMC__IMP_WIDER 1.25       /* the mixture's components than fitted */
#define BML_MCMC__IMP_KNEE 6.0         /* below the mean ln L targets are drawn in, */
#define BML_MCMC__IMP_LOWEST (-25.0)   /* and end */
#define BML_MCMC__IMP_LEAST_KEPT 0.01  /* of the mixture's draws */
#define BML_MCMC__IMP_FLOOR 0.1        /* of the draws, that are the mixture's */
#define BML_MCMC__IMP_TAILED 0.5       /* nats a point by which drawing in brings them nearer to a normal, at least, */
#define BML_MCMC__IMP_GAP 0.5          /* standard deviations between neighbours, which no tail leaves empty */
enum { BML_MCMC__IMP_JUDGED = 1000 };  /* judged by so many of them, */
enum { BML_MCMC__IMP_HALVINGS = 14 };  /* from half the interquartile range down */

/* The numbers of a density. */
enum {
    BML_MCMC__IMP_TRIES,
    BML_MCMC__IMP_SUM,    /* of a over them */
    BML_MCMC__IMP_SQUARE, /* and of its square */
    BML_MCMC__IMP_DRAWN,
    BML_MCMC__IMP_LEVEL,
    BML_MCMC__IMP_LEAST,      /* the floor */
    BML_MCMC__IMP_NORM,       /* ln of the mixture's constant */
    BML_MCMC__IMP_COMPONENTS, /* 0: the prior */
    BML_MCMC__IMP_TOP,        /* the largest of log_norm */
    BML_MCMC__IMP_BY_GUIDE,   /* the power of the user's guide that its acceptance follows, 0: the regression */
    BML_MCMC__IMP_TAILS,      /* how many coordinates are drawn in */
    BML_MCMC__IMP_NUMBERS
};

typedef struct bml_mcmc__imp_density {
    ptrdiff_t d;
    ptrdiff_t m;    /* features */
    ptrdiff_t size; /* doubles of the block */
    double *number; /* [NUMBERS], the block's beginning */
    double *centre; /* [d] of the coordinates that are drawn in, */
    double *width;  /* [d] 0: this one is not */
    double *mean;   /* [d], and on: see bml_mcmc__half */
    double *L;      /* [d][d] */
    double *A;      /* [d][d] */
    double *weight; /* [K] */
    double *log_norm;
    double *mu; /* [K][d] */
    double *CL; /* [K][d][d] */
    double *CA;
    double *fast;   /* [rows][K] the same for all components side by side: see imp_log_mixture */
    double *offset; /* [m] mean features */
    float *whiten;  /* [m][m] column k is row k here, zero before its place k */
    float *network; /* [n_weights] */
} bml_mcmc__imp_density;

static ptrdiff_t bml_mcmc__imp_n_features(ptrdiff_t d) {
    ptrdiff_t all = d + d * (d + 1) / 2;
    return all <= BML_MCMC__IMP_MOST_FEATURES ? all : 2 * d;
}

/* Of features to hidden units and their biases, hidden units to squares, features to squares and their biases; the
   constant, and one that keeps the number even. */
static ptrdiff_t bml_mcmc__imp_n_weights(ptrdiff_t m) {
    ptrdiff_t H = BML_MCMC__IMP_HIDDEN;
    ptrdiff_t J = BML_MCMC__IMP_SQUARES;
    return m * H + H + H * J + m * J + J + 2;
}

static bml_mcmc__imp_density bml_mcmc__imp_layout(ptrdiff_t d, double *base) {
    bml_mcmc__imp_density q;
    ptrdiff_t K = BML_MCMC__MAX_COMPONENTS;
    ptrdiff_t used = 0;
    q.d = d;
    q.m = bml_mcmc__imp_n_features(d);
    q.number = bml_mcmc__take(base, &used, BML_MCMC__IMP_NUMBERS);
    q.centre = bml_mcmc__take(base, &used, d);
    q.width = bml_mcmc__take(base, &used, d);
    q.mean = bml_mcmc__take(base, &used, d);
    q.L = bml_mcmc__take(base, &used, d * d);
    q.A = bml_mcmc__take(base, &used, d * d);
    q.weight = bml_mcmc__take(base, &used, K);
    q.log_norm = bml_mcmc__take(base, &used, K);
    q.mu = bml_mcmc__take(base, &used, K * d);
    q.CL = bml_mcmc__take(base, &used, K * d * d);
    q.CA = bml_mcmc__take(base, &used, K * d * d);
    q.fast = bml_mcmc__take(base, &used, (d * (d + 1) / 2 + d + 1) * K);
    q.offset = bml_mcmc__take(base, &used, q.m);
    q.whiten = (float *)bml_mcmc__take(base, &used, (q.m * q.m + 1) / 2);
    q.network = (float *)bml_mcmc__take(base, &used, (bml_mcmc__imp_n_weights(q.m) + 1) / 2);
    q.size = used;
    return q;
}

/* The mixture as the ensemble's moves know it; scratch[3 d]. */
static bml_mcmc__half bml_mcmc__imp_half(const bml_mcmc__imp_density *q, double *scratch) {
    bml_mcmc__half h;
    memset(&h, 0, sizeof h);
    h.d = q->d;
    h.move.kind = BML_MCMC_MIXTURE;
    h.move.scale = BML_MCMC__IMP_WIDER;
    h.mean = q->mean;
    h.L = q->L;
    h.A = q->A;
    h.weight = q->weight;
    h.log_norm = q->log_norm;
    h.mu = q->mu;
    h.CL = q->CL;
    h.CA = q->CA;
    h.n_components = (ptrdiff_t)q->number[BML_MCMC__IMP_COMPONENTS];
    h.scratch = scratch;
    return h;
}

/* What imp_log_mixture reads: for each row i of CA, its elements up to the diagonal and the row times mu; then the
   components' constants over the largest. A row holds all components. */
static void bml_mcmc__imp_side_by_side(bml_mcmc__imp_density *q) {
    ptrdiff_t K = BML_MCMC__MAX_COMPONENTS;
    ptrdiff_t d = q->d;
    ptrdiff_t n = (ptrdiff_t)q->number[BML_MCMC__IMP_COMPONENTS];
    double *row = q->fast;
    double top = n ? -BML_MCMC__INF : 0; /* a state holds it, and only finite numbers */
    bml_mcmc__clear(q->fast, (d * (d + 1) / 2 + d + 1) * K);
    for (ptrdiff_t i = 0; i < d; i++, row += K)
        for (ptrdiff_t j = 0; j <= i; j++, row += K)
            for (ptrdiff_t k = 0; k < n; k++) {
                double a = q->CA[(k * d + i) * d + j];
                row[k] = a;
                row[k + (i + 1 - j) * K] += a * q->mu[k * d + j];
            }
    for (ptrdiff_t k = 0; k < n; k++)
        top = q->log_norm[k] > top ? q->log_norm[k] : top;
    for (ptrdiff_t k = 0; k < n; k++)
        row[k] = exp(q->log_norm[k] - top);
    q->number[BML_MCMC__IMP_TOP] = top;
}

/* As bml_mcmc__mixture_log_q, all components at once. (1 + r^2/(nu s^2))^-((nu + d)/2) by products: no logarithm, and
   for even d no root. Where all of them vanish, the slow way. */
static double bml_mcmc__imp_log_mixture(const bml_mcmc__imp_density *q, const double *z, double *scratch) {
    enum { K = BML_MCMC__MAX_COMPONENTS };
    double r2[K] = {0};
    double v[K];
    double product[K];
    const double *row = q->fast;
    const double scale = BML_MCMC__DOF * BML_MCMC__IMP_WIDER * BML_MCMC__IMP_WIDER;
    double sum = 0;
    for (ptrdiff_t i = 0; i < q->d; i++, row += K) {
        for (int k = 0; k < K; k++)
            v[k] = 0;
        for (ptrdiff_t j = 0; j <= i; j++, row += K)
            for (int k = 0; k < K; k++)
                v[k] += row[k] * z[j];
        for (int k = 0; k < K; k++)
            r2[k] += (v[k] - row[k]) * (v[k] - row[k]);
    }
    for (int k = 0; k < K; k++) {
        r2[k] = 1 / (1 + r2[k] / scale);
        product[k] = q->d % 2 ? sqrt(r2[k]) : 1;
    }
    for (ptrdiff_t n = (BML_MCMC__DOF + q->d) / 2; n > 0; n /= 2)
        for (int k = 0; k < K; k++) {
            product[k] *= n % 2 ? r2[k] : 1;
            r2[k] *= r2[k];
        }
    for (int k = 0; k < K; k++)
        sum += row[k] * product[k];
    if (sum > DBL_MIN) {
        return q->number[BML_MCMC__IMP_TOP] + log(sum);
    }
    bml_mcmc__half h = bml_mcmc__imp_half(q, scratch);
    return bml_mcmc__mixture_log_q(z, &h);
}

/* z[d] and its products. */
static void bml_mcmc__imp_products(double *phi, const double *z, ptrdiff_t d, ptrdiff_t m) {
    ptrdiff_t n = d;
    bml_mcmc__copy(phi, z, d);
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = m == 2 * d ? i : 0; j <= i; j++)
            phi[n++] = z[i] * z[j];
}

/* psi[m], the products whitened and drawn in softly to within +-8. */
static void bml_mcmc__imp_features(float *psi, const bml_mcmc__imp_density *q, const double *z) {
    double phi[BML_MCMC__IMP_MOST_FEATURES];
    ptrdiff_t m = q->m;
    bml_mcmc__imp_products(phi, z, q->d, m);
    for (ptrdiff_t i = 0; i < m; i++)
        psi[i] = 0;
    for (ptrdiff_t k = 0; k < m; k++) {
        const float *column = q->whiten + k * m;
        float f = (float)bml_mcmc__clamp(phi[k] - q->offset[k], -1e15, 1e15);
        for (ptrdiff_t i = k; i < m; i++)
            psi[i] += column[i] * f;
    }
    for (ptrdiff_t i = 0; i < m; i++)
        psi[i] /= 1 + fabsf(psi[i]) * 0.125f;
}

/* What the network makes of psi[m]: hidden units and their slopes, the functions whose squares are summed. */
typedef struct bml_mcmc__imp_layers {
    float hidden[BML_MCMC__IMP_HIDDEN];
    float slope[BML_MCMC__IMP_HIDDEN];
    float square[BML_MCMC__IMP_SQUARES];
} bml_mcmc__imp_layers;

/* y[n] += a x[n] */
static void bml_mcmc__imp_add(float *BML_MCMC__RESTRICT y, float a, const float *BML_MCMC__RESTRICT x, int n) {
    BML_MCMC__ROLLED
    for (int i = 0; i < n; i++)
        y[i] += a * x[i];
}

static float bml_mcmc__imp_network(bml_mcmc__imp_layers *l, const float *weights, const float *psi, ptrdiff_t m) {
    enum { H = BML_MCMC__IMP_HIDDEN };
    enum { J = BML_MCMC__IMP_SQUARES };
    const float *bias = weights + m * H;
    const float *to_square = bias + H;
    const float *linear = to_square + H * J;
    const float *last = linear + m * J;
    float h[H];
    float g[J];
    for (int j = 0; j < H; j++)
        h[j] = bias[j];
    for (int j = 0; j < J; j++)
        g[j] = last[j];
    for (ptrdiff_t k = 0; k < m; k++) {
        float f = psi[k];
        bml_mcmc__imp_add(h, f, weights + k * H, H);
        bml_mcmc__imp_add(g, f, linear + k * J, J);
    }
    for (int j = 0; j < H; j++) {
        float root = sqrtf(h[j] * h[j] + 1);
        l->hidden[j] = h[j] / root;
        l->slope[j] = 1 / (root * root * root);
    }
    for (int k = 0; k < H; k++)
        bml_mcmc__imp_add(g, l->hidden[k], to_square + k * J, J);
    float sum = last[J];
    for (int j = 0; j < J; j++) {
        sum -= g[j] * g[j];
        l->square[j] = g[j];
    }
    return sum;
}

static double bml_mcmc__imp_regression(const bml_mcmc__imp_density *q, const double *z) {
    float psi[BML_MCMC__IMP_MOST_FEATURES];
    bml_mcmc__imp_layers l;
    bml_mcmc__imp_features(psi, q, z);
    return (double)bml_mcmc__imp_network(&l, q->network, psi, q->m);
}

/* ln density, but for a constant, that a normal fitted to drawn-in points gives the points x[n] themselves, each; width
   0: as they are. */
static double bml_mcmc__imp_normality(const double *x, ptrdiff_t n, double centre, double width) {
    double sum = 0;
    double square = 0;
    double log_slope = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        double y = x[i] - centre;
        if (width > 0) {
            const double u = y / width;
            log_slope -= 0.5 * log1p(u * u);
            y = width * asinh(u);
        }
        sum += y;
        square += y * y;
    }
    const double mean = sum / (double)n;
    return log_slope / (double)n - 0.5 * log(square / (double)n - mean * mean);
}

/* Do ascending x[n], drawn in, still lie in parts, with an empty stretch between that a tail would fill? */
static int bml_mcmc__imp_in_parts(const double *x, ptrdiff_t n, double centre, double width) {
    double sum = 0;
    double square = 0;
    double gap = 0;
    double before = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        double y = asinh((x[i] - centre) / width);
        sum += y;
        square += y * y;
        if (i > n / 10 && i < n - n / 10) {
            gap = fmax(gap, y - before);
        }
        before = y;
    }
    return gap > BML_MCMC__IMP_GAP * sqrt(fmax(square - sum * sum / (double)n, 0) / (double)n);
}

/* Which coordinates of x[n][d] are to be drawn in, and how far: width by maximum likelihood (as Box & Cox 1964, J. R.
   Stat. Soc. B 26, 211, choose theirs). Separate modes are no tail. work[n]. */
static void bml_mcmc__imp_find_tails(bml_mcmc__imp_density *q, const double *x, ptrdiff_t n, double *work) {
    const ptrdiff_t every = 1 + n / BML_MCMC__IMP_JUDGED;
    const ptrdiff_t m = (n + every - 1) / every;
    for (ptrdiff_t k = 0; k < q->d; k++) {
        for (ptrdiff_t i = 0; i < m; i++)
            work[i] = x[i * every * q->d + k];
        bml_mcmc__sort_doubles(work, m);
        q->centre[k] = bml_mcmc_quantile(work, (size_t)m, 0.5);
        double width = 0.5 * (bml_mcmc_quantile(work, (size_t)m, 0.75) - bml_mcmc_quantile(work, (size_t)m, 0.25));
        double best = bml_mcmc__imp_normality(work, m, q->centre[k], 0) + BML_MCMC__IMP_TAILED;
        for (int halvings = 0; halvings < BML_MCMC__IMP_HALVINGS && width > 0; halvings++, width *= 0.5) {
            const double now = bml_mcmc__imp_normality(work, m, q->centre[k], width);
            if (!(now > best) || bml_mcmc__imp_in_parts(work, m, q->centre[k], width)) {
                continue;
            }
            best = now;
            q->width[k] = width;
        }
        q->number[BML_MCMC__IMP_TAILS] += q->width[k] > 0;
    }
}

/* y[d], x drawn in; returns ln |dy/dx|. */
static double bml_mcmc__imp_draw_tails(double *y, const bml_mcmc__imp_density *q, const double *x) {
    double log_slope = 0;
    bml_mcmc__copy(y, x, q->d);
    for (ptrdiff_t k = 0; k < q->d && q->number[BML_MCMC__IMP_TAILS] > 0; k++) {
        if (!(q->width[k] > 0)) {
            continue;
        }
        const double u = (x[k] - q->centre[k]) / q->width[k];
        y[k] = q->width[k] * asinh(u);
        log_slope -= 0.5 * log1p(u * u);
    }
    return log_slope;
}

/* And out again, in place. */
static void bml_mcmc__imp_let_tails(double *y, const bml_mcmc__imp_density *q) {
    for (ptrdiff_t k = 0; k < q->d && q->number[BML_MCMC__IMP_TAILS] > 0; k++)
        if (q->width[k] > 0) {
            y[k] = q->centre[k] + q->width[k] * sinh(y[k] / q->width[k]);
        }
}

static int bml_mcmc__imp_inside(const double *x, ptrdiff_t d) {
    for (ptrdiff_t i = 0; i < d; i++)
        if (!(x[i] > 0 && x[i] < 1)) {
            return 0;
        }
    return 1;
}

/* Probability that a draw of the mixture, inside the cube, is kept, by ln of target over mixture there. */
static double bml_mcmc__imp_acceptance(const bml_mcmc__imp_density *q, double log_ratio) {
    double r = log_ratio - q->number[BML_MCMC__IMP_LEVEL];
    double a = r < 0 ? exp(r) : 1;
    return a > q->number[BML_MCMC__IMP_LEAST] ? a : q->number[BML_MCMC__IMP_LEAST];
}

static double bml_mcmc__imp_log_share(const bml_mcmc__imp_density *q) {
    return log(q->number[BML_MCMC__IMP_SUM] / q->number[BML_MCMC__IMP_TRIES]);
}

/* >> importance: learning
   The regression's whitening and its training by Adam (Kingma & Ba 2014, algorithm 1). */

/* Targets below the knee are drawn in; *slope: of that. */
static double bml_mcmc__imp_draw_in(double t, double *slope) {
    *slope = 1;
    if (t > -BML_MCMC__IMP_KNEE) {
        return t;
    }
    *slope = -BML_MCMC__IMP_KNEE / t;
    return -BML_MCMC__IMP_KNEE + BML_MCMC__IMP_KNEE * log(*slope);
}

/* gradient[...] += that of (network - target)^2/2 for one row, errors beyond 10 counted as 10. from_square[J][H]: the
   weights of hidden units to squares. */
static void bml_mcmc__imp_backward(float *gradient, const float *weights, const float *from_square, const float *psi,
                                   ptrdiff_t m, float target) {
    enum { H = BML_MCMC__IMP_HIDDEN };
    enum { J = BML_MCMC__IMP_SQUARES };
    float *d_bias = gradient + m * H;
    float *d_to_square = d_bias + H;
    float *d_linear = d_to_square + H * J;
    float *d_last = d_linear + m * J;
    bml_mcmc__imp_layers l;
    double slope;
    float d_square[J];
    float d_hidden[H] = {0};
    double out = bml_mcmc__imp_draw_in((double)bml_mcmc__imp_network(&l, weights, psi, m), &slope);
    float error = (float)(slope * bml_mcmc__clamp(out - (double)target, -10, 10));
    d_last[J] += error;
    for (int j = 0; j < J; j++) {
        d_square[j] = -2 * error * l.square[j];
        d_last[j] += d_square[j];
    }
    for (int j = 0; j < J; j++)
        bml_mcmc__imp_add(d_hidden, d_square[j], from_square + j * H, H);
    for (int k = 0; k < H; k++) {
        bml_mcmc__imp_add(d_to_square + k * J, l.hidden[k], d_square, J);
        d_hidden[k] *= l.slope[k];
        d_bias[k] += d_hidden[k];
    }
    for (ptrdiff_t k = 0; k < m; k++) {
        bml_mcmc__imp_add(gradient + k * H, psi[k], d_hidden, H);
        bml_mcmc__imp_add(d_linear + k * J, psi[k], d_square, J);
    }
}

/* What training needs beside the network. */
typedef struct bml_mcmc__imp_lesson {
    ptrdiff_t n;
    ptrdiff_t m;
    float *psi;    /* [n][m] */
    float *target; /* [n] */
    float *gradient;
    float *first; /* Adam's moments */
    float *second;
    int *order; /* [n] */
} bml_mcmc__imp_lesson;

static ptrdiff_t bml_mcmc__imp_lesson_layout(bml_mcmc__imp_lesson *l, double *base) {
    ptrdiff_t used = 0;
    ptrdiff_t weights = (bml_mcmc__imp_n_weights(l->m) + 1) / 2;
    l->psi = (float *)bml_mcmc__take(base, &used, (l->n * l->m + 1) / 2);
    l->target = (float *)bml_mcmc__take(base, &used, (l->n + 1) / 2);
    l->gradient = (float *)bml_mcmc__take(base, &used, weights);
    l->first = (float *)bml_mcmc__take(base, &used, weights);
    l->second = (float *)bml_mcmc__take(base, &used, weights);
    l->order = (int *)bml_mcmc__take(base, &used, bml_mcmc__room(l->n, sizeof *l->order));
    return used;
}

/* from_square[J][H], as bml_mcmc__imp_backward reads it, of weights. */
static void bml_mcmc__imp_turn(float *from_square, const float *weights, ptrdiff_t m) {
    enum { H = BML_MCMC__IMP_HIDDEN };
    enum { J = BML_MCMC__IMP_SQUARES };
    const float *to_square = weights + m * H + H;
    for (int k = 0; k < H; k++)
        for (int j = 0; j < J; j++)
            from_square[j * H + k] = to_square[k * J + j];
}

static void bml_mcmc__imp_adam_step(float *weights, bml_mcmc__imp_lesson *l, double rate, int step) {
    ptrdiff_t n = bml_mcmc__imp_n_weights(l->m);
    float scale = (float)(rate * sqrt(1 - pow(0.99, step)) / (1 - pow(0.9, step)));
    for (ptrdiff_t i = 0; i < n; i++) {
        float g = l->gradient[i];
        l->first[i] = 0.9f * l->first[i] + 0.1f * g;
        l->second[i] = 0.99f * l->second[i] + 0.01f * g * g;
        weights[i] -= scale * l->first[i] / (sqrtf(l->second[i]) + 1e-8f);
        l->gradient[i] = 0;
    }
}

/* Epochs of shuffled minibatches; the rate falls to zero along a straight line. */
static void bml_mcmc__imp_train(float *weights, bml_mcmc__imp_lesson *l, bml_mcmc_rng *rng) {
    int epochs = (int)bml_mcmc__clamp_int(BML_MCMC__IMP_TEACH / l->n + 1, 1, BML_MCMC__IMP_EPOCHS);
    double steps = (double)epochs * ceil((double)l->n / (double)BML_MCMC__IMP_MINIBATCH);
    float from_square[BML_MCMC__IMP_SQUARES * BML_MCMC__IMP_HIDDEN];
    int step = 0;
    bml_mcmc__imp_turn(from_square, weights, l->m);
    for (ptrdiff_t i = 0; i < l->n; i++)
        l->order[i] = (int)i;
    for (int e = 0; e < epochs; e++) {
        for (ptrdiff_t i = l->n - 1; i > 0; i--) {
            ptrdiff_t j = bml_mcmc__below(rng, i + 1);
            int swap = l->order[i];
            l->order[i] = l->order[j];
            l->order[j] = swap;
        }
        for (ptrdiff_t i = 0; i < l->n; i++) {
            ptrdiff_t at = l->order[i];
            bml_mcmc__imp_backward(l->gradient, weights, from_square, l->psi + at * l->m, l->m, l->target[at]);
            if ((i + 1) % BML_MCMC__IMP_MINIBATCH && i + 1 < l->n) {
                continue;
            }
            step++;
            bml_mcmc__imp_adam_step(weights, l, 0.005 * (1 - step / (steps + 1)), step);
            bml_mcmc__imp_turn(from_square, weights, l->m);
        }
    }
}

/* The network at first: the Gaussian of the points' covariance. */
static void bml_mcmc__imp_begin_network(float *weights, ptrdiff_t d, ptrdiff_t m, bml_mcmc_rng *rng) {
    enum { H = BML_MCMC__IMP_HIDDEN };
    enum { J = BML_MCMC__IMP_SQUARES };
    float *to_square = weights + m * H + H;
    float *linear = to_square + H * J;
    memset(weights, 0, sizeof *weights * (size_t)bml_mcmc__imp_n_weights(m));
    for (ptrdiff_t i = 0; i < m * H; i++)
        weights[i] = (float)(bml_mcmc_rng_normal(rng) / sqrt((double)m));
    for (ptrdiff_t i = 0; i < H * J; i++)
        to_square[i] = (float)(0.1 * bml_mcmc_rng_normal(rng) / sqrt((double)H));
    for (ptrdiff_t i = 0; i < m * J; i++)
        linear[i] = (float)(0.02 * bml_mcmc_rng_normal(rng));
    for (ptrdiff_t j = 0; j < d && j < J; j++)
        linear[j * J + j] = 0.7f;
    linear[m * J + J] = (float)(0.5 * (double)d);
}

/* Mean and whitening of the features of z[n][d]; work[(n + 2 m) m]. 0 where they cannot be had. */
static int bml_mcmc__imp_whiten(bml_mcmc__imp_density *q, const double *z, ptrdiff_t n, double *work) {
    ptrdiff_t m = q->m;
    double *L = work;
    double *T = L + m * m;
    double *phi = T + m * m;
    for (ptrdiff_t s = 0; s < n; s++)
        bml_mcmc__imp_products(phi + s * m, z + s * q->d, q->d, m);
    bml_mcmc__moments(q->offset, L, phi, n, m);
    for (ptrdiff_t i = 0; i < m; i++)
        L[i * m + i] += 1e-6 * (1 + L[i * m + i]);
    if (!bml_mcmc__cholesky(L, m, 1e-13)) {
        return 0;
    }
    bml_mcmc__invert_lower(T, L, m);
    for (ptrdiff_t k = 0; k < m; k++)
        for (ptrdiff_t i = 0; i < m; i++)
            q->whiten[k * m + i] = i < k ? 0 : (float)T[i * m + k];
    return 1;
}

/* >> importance: points
   Stage 0 draws from the prior. Each later stage fits a density to the power b of the likelihood for which the points
   so far have enough effective samples (annealed importance sampling by adaptive mixtures: Cappe et al. 2008, Stat.
   Comput. 18, 447), weighs them by L^b over the sum of all densities that are still kept (the balance heuristic of
   Veach & Guibas 1995), and draws from it. At b = 1 a few Markov chains begin at points drawn by weight and go through
   the tips that the densities miss; their places join what the mixture is fitted to, and their trials what the
   regression learns. */

enum { BML_MCMC__IMP_WINDOW = 9 };   /* slots of densities: eight that points are drawn from, and the next one's */
enum { BML_MCMC__IMP_CHAINS = 200 }; /* even */
enum { BML_MCMC__IMP_STEPS = 10 };   /* of every chain after a stage at b = 1 */
enum { BML_MCMC__IMP_REFINE = 3 };   /* stages at b = 1, at least, */
enum { BML_MCMC__IMP_REFINE_MOST = 12 };
enum { BML_MCMC__IMP_STAGES = 200 };   /* in all, at most */
enum { BML_MCMC__IMP_PRIORS = 50 };    /* batches from the prior without enough support */
enum { BML_MCMC__IMP_BLOCK = 1000 };   /* places that the guide is asked for together */
enum { BML_MCMC__IMP_WALKERS = 1000 }; /* of the guide, even, two blocks at most, */
#define BML_MCMC__IMP_WARM 0.6         /* power of the guide for half of them */
enum { BML_MCMC__IMP_WALK = 150 };     /* and their steps, as many again before */
enum { BML_MCMC__IMP_RECORD = 5000 };  /* places where they come by */
enum { BML_MCMC__IMP_LONG = 3 };       /* times as many for the last density: few places leave it too thin between */
enum { BML_MCMC__IMP_LED = 6 };        /* stages without the guide, at least: it has to learn, and modes to be met */
enum { BML_MCMC__IMP_STUCK = 10 };     /* stages by the guide that do not raise the power: then it is left alone */
enum { BML_MCMC__IMP_LEAPS = 6 };      /* of every chain for the verdict, */
enum { BML_MCMC__IMP_LEAP = 50 };      /* and the guide's steps in one; */
enum { BML_MCMC__IMP_HOP = 5 };        /* in every other one, which stays where a guide is wrong by a constant */
enum { BML_MCMC__IMP_GUIDED = 10 };    /* stages by the guide, at most */
#define BML_MCMC__IMP_GOOD 0.3         /* effective samples of such a stage for each draw, with which it is the last */
#define BML_MCMC__IMP_ENOUGH 0.3       /* effective samples of a stage for each of its points; */
#define BML_MCMC__IMP_FEW 0.1          /* of one that the guide leads, whose walks need no more to begin from */
#define BML_MCMC__IMP_POOR 0.1         /* the same of draws at b = 1: then it is refined on */
#define BML_MCMC__IMP_HEAVY 0.05       /* share of the posterior that one draw may have */
#define BML_MCMC__IMP_TAIL 0.05        /* excess of the largest weights that their shape may have, at most */
#define BML_MCMC__IMP_THICK 0.1        /* the same for a shape from 1/3 on, where weights have no third moment */
#define BML_MCMC__IMP_DRAWS 10.0       /* fresh draws, at most, for each effective one wanted */
enum { BML_MCMC__IMP_EXPLORE, BML_MCMC__IMP_SAMPLE };
enum { BML_MCMC__IMP_STREAM = 0x5A000001 }; /* word 3 of the counter */
/* Word 2 of it, beside the round in word 1. */
enum { BML_MCMC__IMP_FOR_FIT, BML_MCMC__IMP_FOR_DRAWS, BML_MCMC__IMP_FOR_CHAINS };

/* A point: its place in the cube, and */
enum {
    BML_MCMC__IMP_LOG_L,
    BML_MCMC__IMP_BORN, /* the stage */
    BML_MCMC__IMP_SLOT, /* its density's, -1: a trial of a chain */
    BML_MCMC__IMP_LOG_Q /* [WINDOW] of the densities */
};
enum { BML_MCMC__IMP_EXTRA = BML_MCMC__IMP_LOG_Q + BML_MCMC__IMP_WINDOW };

typedef struct bml_mcmc__imp_state { /* words of 8 bytes */
    uint64_t phase;
    uint64_t stage; /* densities made */
    uint64_t refined;
    uint64_t round;
    uint64_t chains;    /* 0: none yet */
    double chain_power; /* of the likelihood, that they walk by */
    uint64_t led;       /* stages by the user's guide on the way to the posterior, */
    uint64_t stuck;     /* those of them since the power has risen last, */
    uint64_t guided;    /* and those at the posterior */
    uint64_t alone;     /* 1: the guide is not asked before the posterior, 2: never again */
    uint64_t evaluations;
    uint64_t explored;
    uint64_t n_points;
    uint64_t n_fresh;
    double power;
    double log_z;
    double efficiency; /* of the last stage's draws */
    double ess;
    double error;
    double guide; /* at the first chain, before the fresh draws: another one is noticed by it */
} bml_mcmc__imp_state;

struct bml_mcmc_importance {
    bml_mcmc_importance_config config;
    bml_mcmc__imp_state now;
    ptrdiff_t d;
    ptrdiff_t density_size;
    double *block;        /* of these: */
    double *density;      /* [WINDOW][density_size] */
    double *chain;        /* [CHAINS][d + 1] place and ln L */
    double *chain_before; /* the same at the beginning of a round */
    double *scratch;      /* [5 d] */
    double *ratio;        /* [BLOCK] of tries: ln of target over mixture, */
    double *log_mixture;  /* [BLOCK] */
    double *tried;        /* [BLOCK][d] their places in the cube, */
    double *tried_theta;  /* [BLOCK][d] and parameters */
    double *point;        /* [capacity][d + EXTRA] */
    ptrdiff_t capacity;
    double *fresh; /* [fresh_capacity][d + 2] theta, ln L, ln of mixture a */
    ptrdiff_t fresh_capacity;
    double *trial; /* [trials][2 d + 1] */
    ptrdiff_t trials;
    double *trial_theta;
    double *trial_log_l;
    double *sorted; /* the result's theta [n][d], ln L [n], weight [n]; as many again of scratch */
    double *other;  /* [n_fresh] ln L that the result is to be weighed by; NULL */
    bml_mcmc_importance_progress progress;
    char message[BML_MCMC_MESSAGE];
};

static int bml_mcmc__imp_no_memory(bml_mcmc_importance *s) {
    return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "out of memory");
}

static bml_mcmc_rng bml_mcmc__imp_stream(const bml_mcmc_importance *s, int what) {
    return bml_mcmc__stream(s->config.seed, (uint32_t)s->now.round, (uint32_t)what, BML_MCMC__IMP_STREAM);
}

static double *bml_mcmc__imp_point(const bml_mcmc_importance *s, ptrdiff_t i) {
    return s->point + i * (s->d + BML_MCMC__IMP_EXTRA);
}

static double *bml_mcmc__imp_extra(const bml_mcmc_importance *s, ptrdiff_t i) {
    return bml_mcmc__imp_point(s, i) + s->d;
}

/* The density of a stage, as long as it is kept. */
static bml_mcmc__imp_density bml_mcmc__imp_density_of(const bml_mcmc_importance *s, uint64_t stage) {
    ptrdiff_t slot = (ptrdiff_t)(stage % BML_MCMC__IMP_WINDOW);
    return bml_mcmc__imp_layout(s->d, s->density + slot * s->density_size);
}

/* Room for n points, and for n fresh ones. */
static int bml_mcmc__imp_reserve(bml_mcmc_importance *s, ptrdiff_t n, ptrdiff_t n_fresh) {
    if (n > s->capacity) {
        if (!bml_mcmc__grow(&s->point, n + n / 2, s->d + BML_MCMC__IMP_EXTRA)) {
            return bml_mcmc__imp_no_memory(s);
        }
        s->capacity = n + n / 2;
    }
    if (n_fresh > s->fresh_capacity) {
        if (!bml_mcmc__grow(&s->fresh, n_fresh + n_fresh / 2, s->d + 2)) {
            return bml_mcmc__imp_no_memory(s);
        }
        s->fresh_capacity = n_fresh + n_fresh / 2;
    }
    return BML_MCMC_OK;
}

static int bml_mcmc__imp_trials(bml_mcmc_importance *s, ptrdiff_t n) {
    if (n <= s->trials) {
        return BML_MCMC_OK;
    }
    BML_MCMC_FREE(s->trial);
    s->trials = 0;
    s->trial = bml_mcmc__doubles(n, 2 * s->d + 1);
    if (!s->trial) {
        return bml_mcmc__imp_no_memory(s);
    }
    s->trials = n;
    s->trial_theta = s->trial + n * s->d;
    s->trial_log_l = s->trial_theta + n * s->d;
    return BML_MCMC_OK;
}

/* Parameters theta[n][d] of places in the cube. */
static int bml_mcmc__imp_transform(bml_mcmc_importance *s, double *theta, const double *cube, ptrdiff_t n) {
    const bml_mcmc_importance_config *c = &s->config;
    ptrdiff_t d = s->d;
    bml_mcmc__fill(theta, BML_MCMC__NAN, n * d); /* what a callback leaves out is found */
    for (ptrdiff_t i = 0; c->prior && i < n; i++) {
        int status = bml_mcmc_prior_transform(c->prior, theta + i * d, cube + i * d);
        if (!status) {
            continue;
        }
        bml_mcmc__fail(s->message, status, "the prior, at cube point");
        bml_mcmc__append_point(s->message, cube + i * d, d);
        return status;
    }
    if (!c->prior && c->transform(theta, cube, (int)n, (int)d, c->user)) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_TRANSFORM, "transform says that it failed");
    }
    for (ptrdiff_t i = 0; i < n * d; i++) {
        if (bml_mcmc__is_finite(theta[i])) {
            continue;
        }
        bml_mcmc__fail(s->message, BML_MCMC_BAD_TRANSFORM, "parameter %d is not finite at cube point", (int)(i % d));
        bml_mcmc__append_point(s->message, cube + i / d * d, d);
        return BML_MCMC_BAD_TRANSFORM;
    }
    return BML_MCMC_OK;
}

/* Likelihoods of n trials; -infinity is kept as -DBL_MAX. */
static int bml_mcmc__imp_likelihood(bml_mcmc_importance *s, ptrdiff_t from, ptrdiff_t n) {
    ptrdiff_t d = s->d;
    const double *theta = s->trial_theta + from * d;
    double *log_l = s->trial_log_l + from;
    bml_mcmc__fill(log_l, BML_MCMC__NAN, n);
    s->config.log_likelihood(log_l, theta, (int)n, (int)d, s->config.user);
    for (ptrdiff_t i = 0; i < n; i++) {
        int wrong = bml_mcmc__judge(log_l[i]);
        if (wrong) {
            bml_mcmc__fail(s->message, wrong, "log-likelihood %s at", wrong == BML_MCMC_NAN ? "NaN" : "+infinity");
            bml_mcmc__append_point(s->message, theta + i * d, d);
            return wrong;
        }
        if (log_l[i] < -DBL_MAX) {
            log_l[i] = -DBL_MAX;
        }
    }
    return BML_MCMC_OK;
}

/* Tells the user where things stand; CANCELLED if so answered. */
static int bml_mcmc__imp_report(bml_mcmc_importance *s) {
    const bml_mcmc__imp_state *now = &s->now;
    bml_mcmc_importance_progress *p = &s->progress;
    if (!s->config.progress) {
        return BML_MCMC_OK;
    }
    p->stage = 2;
    if (now->phase == BML_MCMC__IMP_EXPLORE) {
        p->stage = now->power >= 1;
    }
    p->power = now->power;
    p->evaluations = now->evaluations;
    p->log_z = now->log_z;
    p->log_z_error = now->n_fresh ? now->error : BML_MCMC__NAN;
    p->ess = now->n_fresh ? now->ess : BML_MCMC__NAN;
    if (!s->config.progress(p, s->config.progress_user)) {
        return BML_MCMC_OK;
    }
    return bml_mcmc__fail(s->message, BML_MCMC_CANCELLED, "after %llu evaluations", (unsigned long long)p->evaluations);
}

/* Asks for all n trials, in batches. */
static int bml_mcmc__imp_try(bml_mcmc_importance *s, ptrdiff_t n) {
    ptrdiff_t batch = s->config.batch;
    for (ptrdiff_t from = 0; from < n; from += batch) {
        ptrdiff_t count = n - from < batch ? n - from : batch;
        int status = bml_mcmc__imp_transform(s, s->trial_theta + from * s->d, s->trial + from * s->d, count);
        if (!status) {
            status = bml_mcmc__imp_likelihood(s, from, count);
        }
        if (status) return status;
        s->now.evaluations += (uint64_t)count;
        status = bml_mcmc__imp_report(s);
        if (status) return status;
    }
    return BML_MCMC_OK;
}

/* value[n]: the guide at n <= BLOCK places of the cube. Where it is NaN it knows nothing. */
static int bml_mcmc__imp_guide(bml_mcmc_importance *s, double *value, const double *cube, ptrdiff_t n) {
    int status = n ? bml_mcmc__imp_transform(s, s->tried_theta, cube, n) : BML_MCMC_OK;
    if (status || !n) {
        return status;
    }
    bml_mcmc__fill(value, BML_MCMC__NAN, n);
    s->config.guide(value, s->tried_theta, (int)n, (int)s->d, s->config.user);
    for (ptrdiff_t i = 0; i < n; i++)
        if (!(value[i] > -DBL_MAX && value[i] <= DBL_MAX)) {
            value[i] = -BML_MCMC__INF;
        }
    return BML_MCMC_OK;
}

/* s->ratio and s->log_mixture of n <= BLOCK places in the cube. */
static int bml_mcmc__imp_look(bml_mcmc_importance *s, const bml_mcmc__imp_density *q, const double *cube, ptrdiff_t n) {
    bml_mcmc__half h = bml_mcmc__imp_half(q, s->scratch);
    double *z = s->scratch + 3 * s->d;
    double *y = z + s->d;
    double by_guide = q->number[BML_MCMC__IMP_BY_GUIDE];
    int guided = by_guide > 0;
    int status = guided ? bml_mcmc__imp_guide(s, s->ratio, cube, n) : BML_MCMC_OK;
    for (ptrdiff_t i = 0; i < n; i++) {
        double log_slope = bml_mcmc__imp_draw_tails(y, q, cube + i * s->d);
        bml_mcmc__to_z(z, y, &h);
        s->log_mixture[i] = bml_mcmc__imp_log_mixture(q, z, s->scratch) + log_slope;
        double target = guided ? by_guide * s->ratio[i] : bml_mcmc__imp_regression(q, z) + log_slope;
        s->ratio[i] = target - s->log_mixture[i];
    }
    return status;
}

/* out[n]: ln of mixture a at places x[n][stride] in the cube: ln q but for the share kept. */
static int bml_mcmc__imp_log_kept(bml_mcmc_importance *s, double *out, const bml_mcmc__imp_density *q, const double *x,
                                  ptrdiff_t stride, ptrdiff_t n) {
    int status = BML_MCMC_OK;
    bml_mcmc__clear(out, n);
    for (ptrdiff_t from = 0; from < n && q->number[BML_MCMC__IMP_COMPONENTS] > 0 && !status;) {
        ptrdiff_t count = bml_mcmc__clamp_int(n - from, 0, BML_MCMC__IMP_BLOCK);
        for (ptrdiff_t i = 0; i < count; i++)
            bml_mcmc__copy(s->tried + i * s->d, x + (from + i) * stride, s->d);
        status = bml_mcmc__imp_look(s, q, s->tried, count);
        for (ptrdiff_t i = 0; i < count; i++) {
            double log_a = log(bml_mcmc__imp_acceptance(q, s->ratio[i]));
            out[from + i] = q->number[BML_MCMC__IMP_NORM] + s->log_mixture[i] + log_a;
        }
        from += count;
    }
    return status;
}

/* A block of tries, draws of the mixture in the cube, into s->tried; those outside are tries too. Returns how many. */
static ptrdiff_t bml_mcmc__imp_tries(bml_mcmc_importance *s, bml_mcmc__imp_density *q, bml_mcmc_rng *rng) {
    ptrdiff_t d = s->d;
    bml_mcmc__half h = bml_mcmc__imp_half(q, s->scratch);
    double *z = s->scratch + 3 * d;
    ptrdiff_t wanted = q->number[BML_MCMC__IMP_BY_GUIDE] > 0 ? (ptrdiff_t)BML_MCMC__IMP_BLOCK : 1;
    ptrdiff_t n = 0;
    for (int i = 0; i < 1000000 && n < wanted; i++) {
        bml_mcmc__mixture_draw(z, &h, rng);
        bml_mcmc__from_z(s->tried + n * d, z, &h);
        bml_mcmc__imp_let_tails(s->tried + n * d, q);
        n += bml_mcmc__imp_inside(s->tried + n * d, d);
        q->number[BML_MCMC__IMP_TRIES]++;
    }
    return n;
}

/* x[n][d]: draws of q, in the cube. */
static int bml_mcmc__imp_draws(bml_mcmc_importance *s, double *x, bml_mcmc__imp_density *q, ptrdiff_t n,
                               bml_mcmc_rng *rng) {
    double *number = q->number;
    ptrdiff_t d = s->d;
    ptrdiff_t drawn = 0;
    ptrdiff_t since = 0;
    number[BML_MCMC__IMP_DRAWN] += (double)n;
    for (; drawn < n && !(number[BML_MCMC__IMP_COMPONENTS] > 0); drawn++)
        for (ptrdiff_t k = 0; k < d; k++)
            x[drawn * d + k] = bml_mcmc_rng_uniform(rng);
    while (drawn < n) {
        ptrdiff_t count = bml_mcmc__imp_tries(s, q, rng);
        int status = bml_mcmc__imp_look(s, q, s->tried, count);
        if (status) return status;
        if (!count || ++since > 1000000) {
            return bml_mcmc__fail(s->message, BML_MCMC_NOT_CONVERGED, "a density that gives no draws in the cube");
        }
        for (ptrdiff_t i = 0; i < count; i++) {
            double a = bml_mcmc__imp_acceptance(q, s->ratio[i]);
            number[BML_MCMC__IMP_SUM] += a;
            number[BML_MCMC__IMP_SQUARE] += a * a;
            if (drawn == n || !(bml_mcmc_rng_uniform(rng) < a)) {
                continue;
            }
            bml_mcmc__copy(x + drawn++ * d, s->tried + i * d, d);
            since = 0;
        }
    }
    return BML_MCMC_OK;
}

/* Trial i becomes a point of a slot. There is room for it. */
static void bml_mcmc__imp_keep(bml_mcmc_importance *s, ptrdiff_t i, double slot) {
    ptrdiff_t d = s->d;
    double *row = bml_mcmc__imp_point(s, (ptrdiff_t)s->now.n_points++);
    double *extra = row + d;
    bml_mcmc__copy(row, s->trial + i * d, d);
    extra[BML_MCMC__IMP_LOG_L] = s->trial_log_l[i];
    extra[BML_MCMC__IMP_BORN] = (double)s->now.stage;
    extra[BML_MCMC__IMP_SLOT] = slot;
    bml_mcmc__fill(extra + BML_MCMC__IMP_LOG_Q, 0, BML_MCMC__IMP_WINDOW);
}

/* >> importance: stages */

/* ln of sum_t n_t q_t at a point, over the densities that are kept. */
static double bml_mcmc__imp_balance(const double *extra, const double *log_count) {
    double a[BML_MCMC__IMP_WINDOW];
    for (ptrdiff_t t = 0; t < BML_MCMC__IMP_WINDOW; t++)
        a[t] = log_count[t] + extra[BML_MCMC__IMP_LOG_Q + t];
    return bml_mcmc__softmax(a, BML_MCMC__IMP_WINDOW);
}

/* The points that have weights: their numbers, ln L and ln of the balance. */
typedef struct bml_mcmc__imp_weights {
    ptrdiff_t n;
    double *index;
    double *log_l;
    double *log_balance;
    double *weight; /* of a power, sum 1 */
} bml_mcmc__imp_weights;

static void bml_mcmc__imp_weights_make(bml_mcmc__imp_weights *w, const bml_mcmc_importance *s, double *base) {
    ptrdiff_t n = (ptrdiff_t)s->now.n_points;
    double log_count[BML_MCMC__IMP_WINDOW];
    ptrdiff_t used = 0;
    w->index = bml_mcmc__take(base, &used, n);
    w->log_l = bml_mcmc__take(base, &used, n);
    w->log_balance = bml_mcmc__take(base, &used, n);
    w->weight = bml_mcmc__take(base, &used, n);
    w->n = 0;
    for (ptrdiff_t t = 0; t < BML_MCMC__IMP_WINDOW; t++) {
        double drawn = s->density[t * s->density_size + BML_MCMC__IMP_DRAWN];
        log_count[t] = drawn > 0 ? log(drawn) : -1e300;
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        const double *extra = bml_mcmc__imp_extra(s, i);
        if (extra[BML_MCMC__IMP_SLOT] < 0) {
            continue;
        }
        w->index[w->n] = (double)i;
        w->log_l[w->n] = extra[BML_MCMC__IMP_LOG_L];
        w->log_balance[w->n] = bml_mcmc__imp_balance(extra, log_count);
        w->n++;
    }
}

/* Weights under a power; returns their ESS, and *log_z. */
static double bml_mcmc__imp_weigh(bml_mcmc__imp_weights *w, double power, double *log_z) {
    double *weight = w->weight;
    double top = -BML_MCMC__INF;
    double sum = 0;
    double square = 0;
    for (ptrdiff_t i = 0; i < w->n; i++) {
        int possible = w->log_l[i] > -DBL_MAX;
        weight[i] = possible ? power * w->log_l[i] - w->log_balance[i] : -BML_MCMC__INF;
        top = weight[i] > top ? weight[i] : top;
    }
    *log_z = top;
    if (!(top > -DBL_MAX)) {
        return 0;
    }
    for (ptrdiff_t i = 0; i < w->n; i++) {
        weight[i] = exp(weight[i] - top);
        sum += weight[i];
        square += weight[i] * weight[i];
    }
    for (ptrdiff_t i = 0; i < w->n; i++)
        weight[i] /= sum;
    *log_z = top + log(sum);
    return sum * sum / square;
}

/* The power, not below the present one, under which the points have `wanted` effective samples. */
static double bml_mcmc__imp_choose_power(bml_mcmc__imp_weights *w, double now, double wanted) {
    double log_z;
    double lo = now;
    double hi = 1;
    if (bml_mcmc__imp_weigh(w, 1, &log_z) >= wanted) {
        return 1;
    }
    for (int i = 0; i < 40; i++) {
        double middle = lo > 0 ? 0.5 * (lo + hi) : 0.5 * hi;
        if (lo == 0 && hi < 1e-300) {
            break;
        }
        if (bml_mcmc__imp_weigh(w, middle, &log_z) >= wanted) {
            lo = middle;
        } else {
            hi = middle;
        }
    }
    return lo > 0 ? lo : hi;
}

/* Weights above 1/sqrt(30 ESS) are cut off: a single point must not shape a density. Returns the ESS then. */
static double bml_mcmc__imp_cut_weights(bml_mcmc__imp_weights *w, double ess) {
    double *weight = w->weight;
    double most = 1 / sqrt(30 * ess);
    double sum = 0;
    double square = 0;
    for (ptrdiff_t i = 0; i < w->n; i++) {
        weight[i] = weight[i] < most ? weight[i] : most;
        sum += weight[i];
    }
    for (ptrdiff_t i = 0; i < w->n; i++) {
        weight[i] /= sum;
        square += weight[i] * weight[i];
    }
    return 1 / square;
}

/* Roots of the weights, until they have `wanted` effective samples: walkers that begin at few places never leave the
   plane that these span. */
static void bml_mcmc__imp_spread_weights(bml_mcmc__imp_weights *w, double wanted) {
    double *weight = w->weight;
    for (int halvings = 0; halvings < 10; halvings++) {
        double sum = 0;
        double square = 0;
        for (ptrdiff_t i = 0; i < w->n; i++) {
            sum += weight[i];
            square += weight[i] * weight[i];
        }
        if (sum * sum >= wanted * square) {
            return;
        }
        sum = 0;
        for (ptrdiff_t i = 0; i < w->n; i++) {
            weight[i] = sqrt(weight[i]);
            sum += weight[i];
        }
        for (ptrdiff_t i = 0; i < w->n; i++)
            weight[i] /= sum;
    }
}

/* to[n][d]: places drawn by weight (systematic resampling); unless NULL, their ln L beside. */
static void bml_mcmc__imp_resample(double *to, ptrdiff_t stride, ptrdiff_t n, const bml_mcmc_importance *s,
                                   const bml_mcmc__imp_weights *w) {
    ptrdiff_t j = 0;
    double sum = w->weight[0];
    for (ptrdiff_t i = 0; i < n; i++) {
        while (j < w->n - 1 && sum < ((double)i + 0.5) / (double)n)
            sum += w->weight[++j];
        bml_mcmc__copy(to + i * stride, bml_mcmc__imp_point(s, (ptrdiff_t)w->index[j]), stride < s->d ? stride : s->d);
        if (stride > s->d) {
            to[i * stride + s->d] = w->log_l[j];
        }
    }
}

/* The regression's rows: points of the last three stages and trials of chains first, then the likeliest. */
static void bml_mcmc__imp_choose_rows(bml_mcmc__key *key, const bml_mcmc_importance *s) {
    for (ptrdiff_t i = 0; i < (ptrdiff_t)s->now.n_points; i++) {
        const double *extra = bml_mcmc__imp_extra(s, i);
        int recent = extra[BML_MCMC__IMP_BORN] + 3 >= (double)s->now.stage;
        key[i].value = recent ? -BML_MCMC__INF : -extra[BML_MCMC__IMP_LOG_L];
        key[i].tie = -extra[BML_MCMC__IMP_LOG_L];
        key[i].index = i;
    }
    bml_mcmc__sort_keys(key, (ptrdiff_t)s->now.n_points);
}

/* Trains the regression of q on the points; mean: ln L that its targets are counted from. */
static int bml_mcmc__imp_learn(bml_mcmc_importance *s, bml_mcmc__imp_density *q, double mean, bml_mcmc_rng *rng) {
    bml_mcmc__imp_lesson l;
    bml_mcmc__half h = bml_mcmc__imp_half(q, s->scratch);
    ptrdiff_t n = (ptrdiff_t)s->now.n_points;
    double z[BML_MCMC__IMP_MOST_DIM];
    double y[BML_MCMC__IMP_MOST_DIM];
    l.n = bml_mcmc__clamp_int(n, 0, BML_MCMC__IMP_LESSON);
    l.m = q->m;
    double *block = bml_mcmc__doubles(bml_mcmc__imp_lesson_layout(&l, NULL), 1);
    bml_mcmc__key *key = (bml_mcmc__key *)bml_mcmc__doubles(bml_mcmc__room(n, sizeof *key), 1);
    int missing = !block || !key;
    if (!missing) {
        bml_mcmc__imp_lesson_layout(&l, block);
        bml_mcmc__imp_choose_rows(key, s);
    }
    for (ptrdiff_t i = 0; i < l.n && !missing; i++) {
        double slope;
        double log_slope = bml_mcmc__imp_draw_tails(y, q, bml_mcmc__imp_point(s, key[i].index));
        double t = s->now.power * (bml_mcmc__imp_extra(s, key[i].index)[BML_MCMC__IMP_LOG_L] - mean) - log_slope;
        t = bml_mcmc__imp_draw_in(bml_mcmc__clamp(t, -1e6, 1e6), &slope);
        l.target[i] = (float)bml_mcmc__clamp(t, BML_MCMC__IMP_LOWEST, 1e6);
        bml_mcmc__to_z(z, y, &h);
        bml_mcmc__imp_features(l.psi + i * l.m, q, z);
    }
    if (!missing) {
        bml_mcmc__imp_begin_network(q->network, q->d, q->m, rng);
        bml_mcmc__imp_train(q->network, &l, rng);
    }
    BML_MCMC_FREE(block);
    BML_MCMC_FREE(key);
    return missing ? bml_mcmc__imp_no_memory(s) : BML_MCMC_OK;
}

/* The level above which a draw is always kept: what nearly all of the posterior's points x[n][d] lie below, but low
   enough that some hundredth of all tries are kept; then the floor. Without points to go by, everything in the cube is
   kept. */
static int bml_mcmc__imp_tune(bml_mcmc_importance *s, bml_mcmc__imp_density *q, const double *x, ptrdiff_t n,
                              bml_mcmc_rng *rng) {
    enum { PILOT = BML_MCMC__IMP_PILOT };
    double *number = q->number;
    double *r = bml_mcmc__doubles(n + PILOT, 1);
    double sum = 0;
    int status = BML_MCMC_OK;
    if (!r) {
        return bml_mcmc__imp_no_memory(s);
    }
    double *pilot = r + n;
    for (ptrdiff_t from = 0; from < n && !status; from += BML_MCMC__IMP_BLOCK) {
        ptrdiff_t count = bml_mcmc__clamp_int(n - from, 0, BML_MCMC__IMP_BLOCK);
        status = bml_mcmc__imp_look(s, q, x + from * s->d, count);
        bml_mcmc__copy(r + from, s->ratio, count);
    }
    double below = number[BML_MCMC__IMP_BY_GUIDE] > 0 ? 0.999 : 0.97; /* a guide is cheaper to ask in vain */
    double level = status ? 0 : bml_mcmc_quantile(r, (size_t)n, below);
    bml_mcmc__fill(pilot, -BML_MCMC__INF, PILOT);
    while (number[BML_MCMC__IMP_TRIES] < (double)PILOT && !status) {
        ptrdiff_t count = bml_mcmc__imp_tries(s, q, rng);
        ptrdiff_t at = (ptrdiff_t)number[BML_MCMC__IMP_TRIES] - count;
        status = bml_mcmc__imp_look(s, q, s->tried, count);
        for (ptrdiff_t i = 0; i < count && at + i < PILOT; i++)
            pilot[at + i] = s->ratio[i];
    }
    number[BML_MCMC__IMP_TRIES] = 0;
    for (int lowered = 0; lowered < 1000 && !status; lowered++, level -= 0.1) {
        sum = 0;
        for (ptrdiff_t i = 0; i < PILOT; i++)
            sum += pilot[i] < level ? exp(pilot[i] - level) : 1;
        if (sum >= BML_MCMC__IMP_LEAST_KEPT * (double)PILOT) {
            break;
        }
    }
    number[BML_MCMC__IMP_LEVEL] = level;
    number[BML_MCMC__IMP_LEAST] = bml_mcmc__clamp(BML_MCMC__IMP_FLOOR * sum / (double)PILOT, 1e-6, 1);
    BML_MCMC_FREE(r);
    int rugged = number[BML_MCMC__IMP_BY_GUIDE] > 0 && sum < 0.5 * BML_MCMC__IMP_LEAST_KEPT * (double)PILOT;
    if (!status && rugged) {
        return bml_mcmc__fail(s->message, BML_MCMC_NOT_CONVERGED,
                              "next to no draws of a mixture are as the guide says");
    }
    return status;
}

/* The mixture of q fitted to x[n][d]. */
static int bml_mcmc__imp_fit_mixture(bml_mcmc_importance *s, bml_mcmc__imp_density *q, const double *x, ptrdiff_t n,
                                     bml_mcmc_rng *rng) {
    bml_mcmc__half h = bml_mcmc__imp_half(q, s->scratch);
    ptrdiff_t fit = n * s->d + n * BML_MCMC__MAX_COMPONENTS;
    ptrdiff_t more = (n + 2 * q->m) * q->m; /* for the regression's whitening, beside scratch */
    ptrdiff_t room = n * s->d + fit + more + BML_MCMC__FIT_ROWS * s->d;
    double *work = bml_mcmc__doubles(room, 1);
    double d = (double)s->d;
    double nu = BML_MCMC__DOF;
    if (!work) {
        return bml_mcmc__imp_no_memory(s);
    }
    double *y = work + room - n * s->d;
    bml_mcmc__imp_find_tails(q, x, n, work);
    for (ptrdiff_t i = 0; i < n; i++)
        bml_mcmc__imp_draw_tails(y + i * s->d, q, x + i * s->d);
    h.other = y;
    h.n = n;
    h.move.count = (int)bml_mcmc__clamp_int(n / (6 * s->d), 1, BML_MCMC_MAX_COUNT);
    h.em_steps = BML_MCMC__EM_STEPS_REFERENCE / 2;
    h.z = work;
    h.responsibility = h.z + n * s->d;
    h.scratch = work + fit + more;
    int fitted = bml_mcmc__fit_mixture(&h, rng);
    if (fitted) {
        fitted = bml_mcmc__imp_whiten(q, h.z, n, work + fit);
    }
    BML_MCMC_FREE(work);
    if (!fitted) {
        return bml_mcmc__fail(s->message, BML_MCMC_NOT_CONVERGED, "the points span less than the space");
    }
    double log_norm = bml_mcmc__log_gamma(0.5 * (nu + d)) - bml_mcmc__log_gamma(0.5 * nu);
    log_norm -= 0.5 * d * log(nu * 3.141592653589793) + d * log(BML_MCMC__IMP_WIDER) + h.log_det;
    q->number[BML_MCMC__IMP_NORM] = log_norm;
    q->number[BML_MCMC__IMP_COMPONENTS] = (double)h.n_components;
    bml_mcmc__imp_side_by_side(q);
    return BML_MCMC_OK;
}

/* The next density into its slot, from weighted points and the places of chains. */
static int bml_mcmc__imp_fit(bml_mcmc_importance *s, const bml_mcmc__imp_weights *w, double ess) {
    ptrdiff_t d = s->d;
    bml_mcmc__imp_density q = bml_mcmc__imp_density_of(s, s->now.stage);
    bml_mcmc_rng rng = bml_mcmc__imp_stream(s, BML_MCMC__IMP_FOR_FIT);
    ptrdiff_t least = 4 * (d + 1);
    ptrdiff_t n = bml_mcmc__clamp_int((ptrdiff_t)ess, least, BML_MCMC__IMP_FIT);
    ptrdiff_t chains = s->now.chains ? (ptrdiff_t)BML_MCMC__IMP_CHAINS : 0;
    double *x = bml_mcmc__doubles(n + chains, d);
    double mean = 0;
    if (!x) {
        return bml_mcmc__imp_no_memory(s);
    }
    bml_mcmc__clear(q.number, q.size);
    for (ptrdiff_t i = 0; i < w->n; i++)
        mean += w->weight[i] > 0 ? w->weight[i] * w->log_l[i] : 0;
    bml_mcmc__imp_resample(x, d, n, s, w);
    for (ptrdiff_t i = 0; i < chains; i++)
        bml_mcmc__copy(x + (n + i) * d, s->chain + i * (d + 1), d);
    int status = bml_mcmc__imp_fit_mixture(s, &q, x, n + chains, &rng);
    if (!status) {
        status = bml_mcmc__imp_learn(s, &q, mean, &rng);
    }
    if (!status) {
        status = bml_mcmc__imp_tune(s, &q, x, n + chains, &rng);
    }
    BML_MCMC_FREE(x);
    return status;
}

/* n trials from q, and their likelihoods. */
static int bml_mcmc__imp_draw_and_try(bml_mcmc_importance *s, bml_mcmc__imp_density *q, ptrdiff_t n) {
    bml_mcmc_rng rng = bml_mcmc__imp_stream(s, BML_MCMC__IMP_FOR_DRAWS);
    int status = bml_mcmc__imp_draws(s, s->trial, q, n, &rng);
    return status ? status : bml_mcmc__imp_try(s, n);
}

/* ESS of the points from..., drawn from the density of a slot, for each of them. */
static double bml_mcmc__imp_batch_efficiency(const bml_mcmc_importance *s, ptrdiff_t from, ptrdiff_t slot) {
    ptrdiff_t n = (ptrdiff_t)s->now.n_points;
    double top = -BML_MCMC__INF;
    double sum = 0;
    double square = 0;
    for (int pass = 0; pass < 2; pass++)
        for (ptrdiff_t i = from; i < n; i++) {
            const double *extra = bml_mcmc__imp_extra(s, i);
            if (!(extra[BML_MCMC__IMP_LOG_L] > -DBL_MAX)) {
                continue;
            }
            double w = s->now.power * extra[BML_MCMC__IMP_LOG_L] - extra[BML_MCMC__IMP_LOG_Q + slot];
            if (pass == 0) {
                top = w > top ? w : top;
                continue;
            }
            sum += exp(w - top);
            square += exp(2 * (w - top));
        }
    return square > 0 ? sum * sum / square / (double)(n - from) : 0;
}

/* The density whose slot is the next one's, its points, and old trials are forgotten. */
static void bml_mcmc__imp_forget(bml_mcmc_importance *s) {
    bml_mcmc__imp_density next = bml_mcmc__imp_density_of(s, s->now.stage);
    ptrdiff_t n = 0;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)s->now.n_points; i++) {
        double *row = bml_mcmc__imp_point(s, i);
        if (row[s->d + BML_MCMC__IMP_BORN] + (double)BML_MCMC__IMP_WINDOW <= (double)s->now.stage) {
            continue;
        }
        memmove(bml_mcmc__imp_point(s, n++), row, sizeof *row * (size_t)(s->d + BML_MCMC__IMP_EXTRA));
    }
    s->now.n_points = (uint64_t)n;
    next.number[BML_MCMC__IMP_DRAWN] = 0;
}

/* ln q of the density in a slot at all points from one on. */
static int bml_mcmc__imp_log_q(bml_mcmc_importance *s, ptrdiff_t slot, ptrdiff_t from) {
    bml_mcmc__imp_density q = bml_mcmc__imp_density_of(s, (uint64_t)slot);
    ptrdiff_t n = (ptrdiff_t)s->now.n_points - from;
    double *log_q = bml_mcmc__doubles(n, 1);
    if (!log_q) {
        return bml_mcmc__imp_no_memory(s);
    }
    ptrdiff_t stride = s->d + BML_MCMC__IMP_EXTRA;
    double log_share = q.number[BML_MCMC__IMP_COMPONENTS] > 0 ? bml_mcmc__imp_log_share(&q) : 0;
    int status = bml_mcmc__imp_log_kept(s, log_q, &q, bml_mcmc__imp_point(s, from), stride, n);
    for (ptrdiff_t i = 0; i < n; i++)
        bml_mcmc__imp_extra(s, from + i)[BML_MCMC__IMP_LOG_Q + slot] = log_q[i] - log_share;
    BML_MCMC_FREE(log_q);
    return status;
}

/* The n trials, draws of the stage's density, become points: ln q of it at all points, and of the others at the new
   ones. There is room for them. */
static int bml_mcmc__imp_stage_end(bml_mcmc_importance *s, ptrdiff_t n) {
    ptrdiff_t slot = (ptrdiff_t)(s->now.stage % BML_MCMC__IMP_WINDOW);
    ptrdiff_t before = (ptrdiff_t)s->now.n_points;
    for (ptrdiff_t i = 0; i < n; i++)
        bml_mcmc__imp_keep(s, i, (double)slot);
    int status = bml_mcmc__imp_log_q(s, slot, 0);
    for (ptrdiff_t t = 0; t < BML_MCMC__IMP_WINDOW && !status; t++)
        if (t != slot && s->density[t * s->density_size + BML_MCMC__IMP_DRAWN] > 0) {
            status = bml_mcmc__imp_log_q(s, t, before);
        }
    if (status) return status;
    s->now.efficiency = bml_mcmc__imp_batch_efficiency(s, before, slot);
    s->now.stage++;
    bml_mcmc__imp_forget(s);
    return BML_MCMC_OK;
}

static int bml_mcmc__imp_stage_draws(bml_mcmc_importance *s, ptrdiff_t n) {
    bml_mcmc__imp_density q = bml_mcmc__imp_density_of(s, s->now.stage);
    int status = bml_mcmc__imp_trials(s, n);
    if (!status) {
        status = bml_mcmc__imp_reserve(s, (ptrdiff_t)s->now.n_points + n, 0);
    }
    if (!status) {
        status = bml_mcmc__imp_draw_and_try(s, &q, n);
    }
    return status ? status : bml_mcmc__imp_stage_end(s, n);
}

/* n draws of q into the trials, their likelihoods, and ln of mixture a there: *log_kept [n], to be freed, NULL on
   failure. */
static int bml_mcmc__imp_weighed_draws(bml_mcmc_importance *s, double **log_kept, bml_mcmc__imp_density *q,
                                       ptrdiff_t n) {
    *log_kept = NULL;
    int status = bml_mcmc__imp_trials(s, n);
    if (!status) {
        status = bml_mcmc__imp_draw_and_try(s, q, n);
    }
    if (status) return status;
    *log_kept = bml_mcmc__doubles(n, 1);
    if (!*log_kept) {
        return bml_mcmc__imp_no_memory(s);
    }
    status = bml_mcmc__imp_log_kept(s, *log_kept, q, s->trial, s->d, n);
    if (status) {
        BML_MCMC_FREE(*log_kept);
        *log_kept = NULL;
    }
    return status;
}

/* The n trials, draws of the stage's density, take the place of all points, and the stage is over. log_q[n] of it, but
   for log_share. There is room for them. */
static void bml_mcmc__imp_replace(bml_mcmc_importance *s, const double *log_q, double log_share, ptrdiff_t n) {
    ptrdiff_t slot = (ptrdiff_t)(s->now.stage % BML_MCMC__IMP_WINDOW);
    s->now.n_points = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        bml_mcmc__imp_keep(s, i, (double)slot);
        bml_mcmc__imp_extra(s, i)[BML_MCMC__IMP_LOG_Q + slot] = log_q[i] - log_share;
    }
    for (ptrdiff_t t = 0; t < BML_MCMC__IMP_WINDOW; t++)
        if (t != slot) {
            s->density[t * s->density_size + BML_MCMC__IMP_DRAWN] = 0;
        }
    s->now.efficiency = bml_mcmc__imp_batch_efficiency(s, 0, slot);
    s->now.stage++;
}

/* The trials are draws of a density by the guide, which is asked at its own draws alone: the next one will be another.
   */
static void bml_mcmc__imp_guided_end(bml_mcmc_importance *s, const double *log_kept, ptrdiff_t n) {
    bml_mcmc__imp_density q = bml_mcmc__imp_density_of(s, s->now.stage);
    bml_mcmc__imp_replace(s, log_kept, bml_mcmc__imp_log_share(&q), n);
    int there = s->now.power >= 1;
    s->now.guided += (uint64_t)there;
    s->now.led += (uint64_t)!there;
    s->now.stuck += (uint64_t)!there;
}

static int bml_mcmc__imp_guided_draws(bml_mcmc_importance *s, ptrdiff_t n) {
    bml_mcmc__imp_density q = bml_mcmc__imp_density_of(s, s->now.stage);
    double *log_kept;
    int status = bml_mcmc__imp_reserve(s, n, 0);
    if (status) return status;
    status = bml_mcmc__imp_weighed_draws(s, &log_kept, &q, n);
    if (status) return status;
    bml_mcmc__imp_guided_end(s, log_kept, n);
    BML_MCMC_FREE(log_kept);
    return BML_MCMC_OK;
}

/* The guide has led nowhere: from the prior once more, and without it until the posterior is reached. */
static int bml_mcmc__imp_restart(bml_mcmc_importance *s) {
    bml_mcmc__imp_state *now = &s->now;
    ptrdiff_t n = s->config.points;
    bml_mcmc__imp_density q = bml_mcmc__imp_density_of(s, now->stage);
    double *log_q = bml_mcmc__doubles(n, 1);
    if (!log_q) {
        return bml_mcmc__imp_no_memory(s);
    }
    bml_mcmc__clear(q.number, q.size); /* the prior */
    bml_mcmc__clear(log_q, n);
    int status = bml_mcmc__imp_reserve(s, n, 0);
    if (!status) {
        status = bml_mcmc__imp_trials(s, n);
    }
    if (!status) {
        status = bml_mcmc__imp_draw_and_try(s, &q, n);
    }
    if (!status) {
        now->power = 0;
        now->led = 0;
        now->stuck = 0;
        now->alone = 1;
        now->chains = 0;
        now->chain_power = 0;
        bml_mcmc__imp_replace(s, log_q, 0, n);
    }
    BML_MCMC_FREE(log_q);
    return status;
}

/* Proposals for n chains at[n][d + 1] by as many others (DE, see there): trial[][d], and which chains have one. */
static ptrdiff_t bml_mcmc__imp_propose(double *trial, int *which, const double *at, const double *other, ptrdiff_t n,
                                       ptrdiff_t d, bml_mcmc_rng *rng) {
    ptrdiff_t row = d + 1;
    ptrdiff_t trials = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        ptrdiff_t one = bml_mcmc__below(rng, n);
        ptrdiff_t two = bml_mcmc__below(rng, n - 1);
        two += two >= one;
        double u = bml_mcmc_rng_uniform(rng); /* its first tenth says jump, the rest spreads the step */
        double step = u < 0.1 ? 1 : 2.38 / sqrt(2 * (double)d) * (0.4 + 0.8 * (u - 0.1) / 0.9);
        double *y = trial + trials * d;
        for (ptrdiff_t k = 0; k < d; k++)
            y[k] = at[i * row + k] + step * (other[one * row + k] - other[two * row + k]);
        if (!bml_mcmc__imp_inside(y, d)) {
            continue;
        }
        which[trials++] = (int)i;
    }
    return trials;
}

/* Some steps of all chains; their trials become points. The chains begin where the weights say. */
static int bml_mcmc__imp_run_chains(bml_mcmc_importance *s, const bml_mcmc__imp_weights *w) {
    enum { HALF = BML_MCMC__IMP_CHAINS / 2 };
    ptrdiff_t d = s->d;
    int which[HALF];
    bml_mcmc_rng rng = bml_mcmc__imp_stream(s, BML_MCMC__IMP_FOR_CHAINS);
    ptrdiff_t row = d + 1;
    int status = bml_mcmc__imp_trials(s, BML_MCMC__IMP_CHAINS);
    if (!status) {
        status = bml_mcmc__imp_reserve(s, (ptrdiff_t)s->now.n_points + BML_MCMC__IMP_CHAINS * BML_MCMC__IMP_STEPS, 0);
    }
    if (status) return status;
    if (!s->now.chains) {
        bml_mcmc__imp_resample(s->chain, row, BML_MCMC__IMP_CHAINS, s, w);
    }
    s->now.chains = 1;
    s->now.chain_power = s->now.power;
    for (int step = 0; step < 2 * BML_MCMC__IMP_STEPS; step++) {
        double *half = s->chain + step % 2 * HALF * row;
        const double *other = s->chain + (step + 1) % 2 * HALF * row;
        ptrdiff_t n = bml_mcmc__imp_propose(s->trial, which, half, other, HALF, d, &rng);
        status = bml_mcmc__imp_try(s, n);
        if (status) return status;
        for (ptrdiff_t i = 0; i < n; i++) {
            double *at = half + which[i] * row;
            bml_mcmc__imp_keep(s, i, -1);
            if (!(log(bml_mcmc_rng_uniform(&rng)) < s->trial_log_l[i] - at[d])) {
                continue;
            }
            bml_mcmc__copy(at, s->trial + i * d, d);
            at[d] = s->trial_log_l[i];
        }
    }
    return BML_MCMC_OK;
}

static ptrdiff_t bml_mcmc__imp_supported(const bml_mcmc_importance *s) {
    ptrdiff_t n = 0;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)s->now.n_points; i++)
        n += bml_mcmc__imp_extra(s, i)[BML_MCMC__IMP_LOG_L] > -DBL_MAX;
    return n;
}

/* One step of the walkers at[n][d + 1], their guide in [d], by as many others, under a power of the guide.
   work: trials [n][d] and values [n]. */
static int bml_mcmc__imp_walk(bml_mcmc_importance *s, double *at, const double *other, ptrdiff_t n, double power,
                              double *work, bml_mcmc_rng *rng) {
    ptrdiff_t d = s->d;
    int which[BML_MCMC__IMP_BLOCK];
    ptrdiff_t row = d + 1;
    double *value = work + n * d;
    ptrdiff_t trials = bml_mcmc__imp_propose(work, which, at, other, n, d, rng);
    int status = bml_mcmc__imp_guide(s, value, work, trials);
    for (ptrdiff_t i = 0; i < trials && !status; i++) {
        double *walker = at + which[i] * row;
        double log_u = log(bml_mcmc_rng_uniform(rng)) / power;
        if (!(value[i] > -DBL_MAX) || !(walker[d] + log_u < value[i])) {
            continue;
        }
        bml_mcmc__copy(walker, work + i * d, d);
        walker[d] = value[i];
    }
    return status;
}

/* Guide at n walkers at[n][d + 1], into [d]. */
static int bml_mcmc__imp_walk_begin(bml_mcmc_importance *s, double *at, ptrdiff_t n, double *work) {
    ptrdiff_t d = s->d;
    ptrdiff_t row = d + 1;
    for (ptrdiff_t i = 0; i < n; i++)
        bml_mcmc__copy(work + i * d, at + i * row, d);
    int status = bml_mcmc__imp_guide(s, work + n * d, work, n);
    for (ptrdiff_t i = 0; i < n && !status; i++)
        at[i * row + d] = work[n * d + i];
    return status;
}

/* x[length * RECORD][d]: places where walkers of a power of the guide come by, from where the weights say. */
static int bml_mcmc__imp_record(double *x, bml_mcmc_importance *s, const bml_mcmc__imp_weights *w, double power,
                                int length, bml_mcmc_rng *rng) {
    enum { N = BML_MCMC__IMP_WALKERS };
    enum { HALF = N / 2 };
    enum { EVERY = BML_MCMC__IMP_WALK * N / BML_MCMC__IMP_RECORD };
    ptrdiff_t d = s->d;
    ptrdiff_t row = d + 1;
    double *walker = bml_mcmc__doubles(N, 2 * row);
    if (!walker) {
        return bml_mcmc__imp_no_memory(s);
    }
    double *second = walker + HALF * row;
    double *work = walker + N * row;
    int steps = length * BML_MCMC__IMP_WALK;
    bml_mcmc__imp_resample(walker, row, HALF, s, w);
    bml_mcmc__copy(second, walker, HALF * row); /* they part soon */
    int status = bml_mcmc__imp_walk_begin(s, walker, N, work);
    for (int step = 1; step <= 2 * steps && !status; step++) {
        status = bml_mcmc__imp_walk(s, walker, second, HALF, power, work, rng);
        if (!status) {
            status = bml_mcmc__imp_walk(s, second, walker, HALF, power, work, rng);
        }
        if (step <= steps || step % EVERY) {
            continue; /* the first half is burn-in */
        }
        for (ptrdiff_t i = 0; i < N; i++, x += d)
            bml_mcmc__copy(x, walker + i * row, d);
    }
    BML_MCMC_FREE(walker);
    return status;
}

/* The chains go on to the stage's power: they are drawn again by what it adds to the likelihood's weights, so that what
   they show of its parts is its own word, whatever the guide says (sequential Monte Carlo: Del Moral, Doucet & Jasra
   2006, J. R. Stat. Soc. B 68, 411). Copies of one go to both halves in turn. */
static int bml_mcmc__imp_raise_chains(bml_mcmc_importance *s) {
    enum { N = BML_MCMC__IMP_CHAINS };
    ptrdiff_t row = s->d + 1;
    double weight[N];
    double total = 0;
    double top = -BML_MCMC__INF;
    double *from = bml_mcmc__doubles(N, row);
    if (!from) {
        return bml_mcmc__imp_no_memory(s);
    }
    bml_mcmc__copy(from, s->chain, N * row);
    for (ptrdiff_t c = 0; c < N; c++)
        top = fmax(top, from[c * row + s->d]);
    for (ptrdiff_t c = 0; c < N; c++) {
        weight[c] = exp((s->now.power - s->now.chain_power) * (from[c * row + s->d] - top));
        total += weight[c];
    }
    ptrdiff_t c = 0;
    double sum = weight[0];
    for (ptrdiff_t i = 0; i < N; i++) {
        while (c < N - 1 && sum < ((double)i + 0.5) * total / (double)N)
            sum += weight[++c];
        bml_mcmc__copy(s->chain + (i % 2 * (N / 2) + i / 2) * row, from + c * row, row);
    }
    s->now.chain_power = s->now.power;
    BML_MCMC_FREE(from);
    return BML_MCMC_OK;
}

/* The chains for the verdict, from where the weights said before the guide led: walks by the guide, each as a whole
   accepted or not by the likelihood (delayed acceptance: Christen & Fox 2005, J. Comput. Graph. Stat. 14, 795), both to
   the stage's power. */
static int bml_mcmc__imp_witness(bml_mcmc_importance *s, int leaps, bml_mcmc_rng *rng) {
    enum { HALF = BML_MCMC__IMP_CHAINS / 2 };
    ptrdiff_t d = s->d;
    ptrdiff_t row = d + 1;
    double *end = bml_mcmc__doubles(HALF, 2 * row + 1);
    if (!end) {
        return bml_mcmc__imp_no_memory(s);
    }
    double *work = end + HALF * row;
    double *begin = work + HALF * row; /* [HALF] the guide there */
    double power = s->now.power;
    int status = bml_mcmc__imp_trials(s, HALF);
    for (int leap = 0; leap < 2 * leaps && !status; leap++) {
        double *half = s->chain + leap % 2 * HALF * row;
        const double *other = s->chain + (leap + 1) % 2 * HALF * row;
        bml_mcmc__copy(end, half, HALF * row);
        status = bml_mcmc__imp_walk_begin(s, end, HALF, work);
        for (ptrdiff_t i = 0; i < HALF; i++)
            begin[i] = end[i * row + d];
        int hops = leap / 2 % 2;
        int steps = hops ? (int)BML_MCMC__IMP_HOP : (int)BML_MCMC__IMP_LEAP;
        for (int step = 0; step < steps && !status; step++)
            status = bml_mcmc__imp_walk(s, end, other, HALF, power, work, rng);
        for (ptrdiff_t i = 0; i < HALF; i++)
            bml_mcmc__copy(s->trial + i * d, end + i * row, d);
        if (!status) {
            status = bml_mcmc__imp_try(s, HALF);
        }
        for (ptrdiff_t i = 0; i < HALF && !status; i++) {
            double *at = half + i * row;
            double log_ratio = s->trial_log_l[i] - at[d] - end[i * row + d] + begin[i];
            if (!(log(bml_mcmc_rng_uniform(rng)) < power * log_ratio)) {
                continue;
            }
            bml_mcmc__copy(at, end + i * row, d);
            at[d] = s->trial_log_l[i];
        }
    }
    BML_MCMC_FREE(end);
    return status;
}

/* The guide learns. *leads: it may make the next density; not where it is not ready, or knows less than half of where
   the weights are. */
static int bml_mcmc__imp_learn_guide(int *leads, bml_mcmc_importance *s, const bml_mcmc__imp_weights *w) {
    enum { N = BML_MCMC__IMP_BLOCK };
    int unready = s->config.learn ? s->config.learn(s->config.user) : 0;
    if (unready < 0) {
        return bml_mcmc__fail(s->message, BML_MCMC_CANCELLED, "by learn");
    }
    *leads = s->now.guided || s->now.led;
    if (*leads || unready) {
        return BML_MCMC_OK;
    }
    bml_mcmc__imp_resample(s->tried, s->d, N, s, w);
    int status = bml_mcmc__imp_guide(s, s->ratio, s->tried, N);
    ptrdiff_t known = 0;
    for (ptrdiff_t i = 0; i < N && !status; i++)
        known += s->ratio[i] > -DBL_MAX;
    *leads = 2 * known >= N;
    return status;
}

/* One leap of the chains wherever the power has risen, more before the fresh draws. */
static int bml_mcmc__imp_go_on(bml_mcmc_importance *s, int last, bml_mcmc_rng *rng) {
    int rises = s->now.power > s->now.chain_power;
    int status = rises ? bml_mcmc__imp_raise_chains(s) : BML_MCMC_OK;
    if (status || !(rises || last)) {
        return status;
    }
    return bml_mcmc__imp_witness(s, last ? (int)BML_MCMC__IMP_LEAPS : 2, rng);
}

/* A density from the user's guide alone: its mixture is fitted to walks by the guide, its acceptance follows the guide.
   The draws of a stage show how good it is, and the guide may learn from them; then the stage before is forgotten. */
static int bml_mcmc__imp_guided_stage(bml_mcmc_importance *s, const bml_mcmc__imp_weights *w) {
    bml_mcmc__imp_state *now = &s->now;
    bml_mcmc_rng rng = bml_mcmc__imp_stream(s, BML_MCMC__IMP_FOR_FIT);
    bml_mcmc__imp_density q = bml_mcmc__imp_density_of(s, now->stage);
    int good = now->guided >= BML_MCMC__IMP_REFINE && now->efficiency >= BML_MCMC__IMP_GOOD;
    int last = now->power >= 1 && (good || now->guided >= BML_MCMC__IMP_GUIDED);
    int length = last ? BML_MCMC__IMP_LONG : 1;
    ptrdiff_t n = length * (ptrdiff_t)BML_MCMC__IMP_RECORD;
    double *x = bml_mcmc__doubles(2 * n, s->d);
    if (!x) {
        return bml_mcmc__imp_no_memory(s);
    }
    bml_mcmc__clear(q.number, q.size);
    int status = bml_mcmc__imp_record(x, s, w, now->power, length, &rng);
    if (!status) {
        status = bml_mcmc__imp_record(x + n * s->d, s, w, BML_MCMC__IMP_WARM * now->power, length, &rng);
    }
    if (!status) {
        status = bml_mcmc__imp_fit_mixture(s, &q, x, 2 * n, &rng);
    }
    q.number[BML_MCMC__IMP_BY_GUIDE] = now->power;
    if (!status) {
        status = bml_mcmc__imp_tune(s, &q, x, BML_MCMC__IMP_FIT, &rng);
    }
    BML_MCMC_FREE(x);
    if (status) return status;
    status = bml_mcmc__imp_go_on(s, last, &rng);
    if (status) return status;
    if (!last) {
        return bml_mcmc__imp_guided_draws(s, now->power >= 1 ? 5 * (ptrdiff_t)s->config.points / 2 : s->config.points);
    }
    status = bml_mcmc__imp_guide(s, &now->guide, s->chain, 1);
    now->guide = now->guide > -DBL_MAX ? now->guide : -DBL_MAX;
    now->explored = now->evaluations;
    now->phase = BML_MCMC__IMP_SAMPLE;
    return status;
}

/* May the guide make the next density, if it is ready? */
static int bml_mcmc__imp_may_lead(const bml_mcmc_importance *s) {
    const bml_mcmc__imp_state *now = &s->now;
    if (!s->config.guide || now->alone > 1) {
        return 0;
    }
    return now->power >= 1 || (!now->alone && now->power > 0 && now->stage >= BML_MCMC__IMP_LED);
}

/* A stage by the guide, where it is ready; *made: by it, or in its wake. */
static int bml_mcmc__imp_led_stage(int *made, bml_mcmc_importance *s, bml_mcmc__imp_weights *w) {
    bml_mcmc__imp_state *now = &s->now;
    int there = now->power >= 1;
    *made = 1;
    if (now->stuck >= BML_MCMC__IMP_STUCK && !there) {
        return bml_mcmc__imp_restart(s);
    }
    int status = bml_mcmc__imp_learn_guide(made, s, w);
    if (!status && *made && !now->chains) { /* the places are the likelihood's own */
        bml_mcmc__imp_resample(s->chain, s->d + 1, BML_MCMC__IMP_CHAINS, s, w);
        now->chains = 1;
        now->chain_power = now->power;
    }
    if (!status && *made) {
        bml_mcmc__imp_spread_weights(w, 20 * (double)s->d);
        status = bml_mcmc__imp_guided_stage(s, w);
    }
    int unfit = status == BML_MCMC_NOT_CONVERGED && !now->guided; /* no density fits its walks */
    if (unfit && now->led) {
        s->message[0] = 0;
        return bml_mcmc__imp_restart(s);
    }
    if (unfit) {
        s->message[0] = 0;
        now->chains = (uint64_t)there; /* before the posterior they have nowhere to go */
        *made = 0;
        status = BML_MCMC_OK;
    }
    if (!*made && there) {
        now->alone = 2;
    }
    return status;
}

/* A stage from weighted points: power, chains, density, and draws unless it is the last, which the fresh draws use. */
static int bml_mcmc__imp_weighted_stage(bml_mcmc_importance *s, bml_mcmc__imp_weights *w) {
    bml_mcmc__imp_state *now = &s->now;
    double enough = (now->led ? BML_MCMC__IMP_FEW : BML_MCMC__IMP_ENOUGH) * s->config.points;
    double before = now->power;
    int status = BML_MCMC_OK;
    int made = 0;
    now->power = bml_mcmc__imp_choose_power(w, before, enough);
    now->stuck = now->power > before ? 0 : now->stuck;
    double ess = bml_mcmc__imp_weigh(w, now->power, &now->log_z);
    ess = bml_mcmc__imp_cut_weights(w, ess);
    /* Before the guide learns again, for the densities that are kept are its own of now. */
    if (now->guided >= BML_MCMC__IMP_GUIDED && now->efficiency < BML_MCMC__IMP_POOR) {
        now->alone = 2;
    }
    if (bml_mcmc__imp_may_lead(s)) {
        status = bml_mcmc__imp_led_stage(&made, s, w);
    }
    if (status || made) {
        return status;
    }
    if (now->power >= 1) {
        status = bml_mcmc__imp_run_chains(s, w);
    }
    if (!status) {
        status = bml_mcmc__imp_fit(s, w, ess);
    }
    if (status) return status;
    int good = now->refined >= BML_MCMC__IMP_REFINE && now->efficiency >= BML_MCMC__IMP_POOR;
    if (now->power >= 1 && (good || now->refined >= BML_MCMC__IMP_REFINE_MOST)) {
        now->phase = BML_MCMC__IMP_SAMPLE;
        return BML_MCMC_OK;
    }
    now->refined += now->power >= 1;
    return bml_mcmc__imp_stage_draws(s, now->power >= 1 ? 5 * (ptrdiff_t)s->config.points / 2 : s->config.points);
}

static int bml_mcmc__imp_explore(bml_mcmc_importance *s) {
    bml_mcmc__imp_state *now = &s->now;
    bml_mcmc__imp_weights w;
    ptrdiff_t n = (ptrdiff_t)now->n_points;
    if (!n || (now->power == 0 && bml_mcmc__imp_supported(s) < 4 * (s->d + 1))) {
        if (now->round >= BML_MCMC__IMP_PRIORS && !now->alone) {
            return bml_mcmc__fail(s->message, BML_MCMC_NO_SUPPORT, "-infinite at all but %lld of %llu points",
                                  (long long)bml_mcmc__imp_supported(s), (unsigned long long)now->evaluations);
        }
        now->stage -= now->stage > 0; /* again */
        return bml_mcmc__imp_stage_draws(s, s->config.points);
    }
    if (now->stage >= BML_MCMC__IMP_STAGES) {
        return bml_mcmc__fail(s->message, BML_MCMC_NOT_CONVERGED,
                              "%d stages have come to the power %.3g of the likelihood: no density fits it",
                              (int)BML_MCMC__IMP_STAGES, now->power);
    }
    double *block = bml_mcmc__doubles(n, 4);
    if (!block) {
        return bml_mcmc__imp_no_memory(s);
    }
    bml_mcmc__imp_weights_make(&w, s, block);
    int status = bml_mcmc__imp_weighted_stage(s, &w);
    BML_MCMC_FREE(block);
    return status;
}

/* >> importance: fresh draws
   All of the last density: Z = C mean of L/(mixture a). The error of ln Z is that of the mean weight and that of C. */

/* ln weight of fresh point i, but for C. */
static double bml_mcmc__imp_fresh_weight(const bml_mcmc_importance *s, ptrdiff_t i) {
    const double *row = s->fresh + i * (s->d + 2);
    double log_l = s->other ? s->other[i] : row[s->d];
    return log_l > -DBL_MAX ? log_l - row[s->d + 1] : -BML_MCMC__INF;
}

/* ln Z, its error and the ESS. */
static double bml_mcmc__imp_evidence(const bml_mcmc_importance *s, double *error, double *ess) {
    bml_mcmc__imp_density q = bml_mcmc__imp_density_of(s, s->now.stage);
    double n = (double)s->now.n_fresh;
    double tries = q.number[BML_MCMC__IMP_TRIES];
    double share = q.number[BML_MCMC__IMP_SUM] / tries;
    double spread = q.number[BML_MCMC__IMP_SQUARE] / tries / (share * share) - 1;
    double top = -BML_MCMC__INF;
    double sum = 0;
    double square = 0;
    *error = BML_MCMC__INF;
    *ess = 0;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)s->now.n_fresh; i++)
        top = fmax(top, bml_mcmc__imp_fresh_weight(s, i));
    if (!(top > -DBL_MAX)) {
        return top;
    }
    for (ptrdiff_t i = 0; i < (ptrdiff_t)s->now.n_fresh; i++) {
        double w = exp(bml_mcmc__imp_fresh_weight(s, i) - top);
        sum += w;
        square += w * w;
    }
    *ess = sum * sum / square;
    *error = sqrt(fmax(1 / *ess - 1 / n, 0) + fmax(spread, 0) / tries);
    return top + log(sum / n) + log(share);
}

/* How many draws the next round makes: enough for what is wanted, by the present efficiency. */
static ptrdiff_t bml_mcmc__imp_round_draws(const bml_mcmc_importance *s) {
    double n = (double)s->now.n_fresh;
    double wanted = s->config.min_ess;
    if (n > 0) {
        double by_ess = n * (s->config.min_ess / fmax(s->now.ess, 1) - 1);
        double by_error = n * (s->now.error * s->now.error / (s->config.error * s->config.error) - 1);
        wanted = 1.02 * fmax(by_ess, by_error) + 100;
    }
    return (ptrdiff_t)bml_mcmc__clamp(wanted, 100, 5000);
}

/* Are the fresh draws so poor that there is more to learn? Then they are dropped: the guide or the next density learns
   from the last n of them. */
static int bml_mcmc__imp_poor(const bml_mcmc_importance *s, int guided) {
    double least = guided ? 0.5 * BML_MCMC__IMP_GOOD : BML_MCMC__IMP_POOR;
    if (s->now.ess >= least * (double)s->now.n_fresh) {
        return 0;
    }
    if (s->now.stage >= BML_MCMC__IMP_STAGES) {
        return 0;
    }
    return guided ? s->now.guided < BML_MCMC__IMP_GUIDED : s->now.refined < BML_MCMC__IMP_REFINE_MOST;
}

/* n fresh draws into the trials, with their densities; the fresh rows follow. */
static int bml_mcmc__imp_sample(bml_mcmc_importance *s) {
    bml_mcmc__imp_state *now = &s->now;
    ptrdiff_t d = s->d;
    bml_mcmc__imp_density q = bml_mcmc__imp_density_of(s, now->stage);
    ptrdiff_t n = bml_mcmc__imp_round_draws(s);
    ptrdiff_t before = (ptrdiff_t)now->n_fresh;
    int guided = q.number[BML_MCMC__IMP_BY_GUIDE] > 0;
    int status = before || guided ? BML_MCMC_OK : bml_mcmc__imp_run_chains(s, NULL); /* for the verdict */
    double *log_kept;
    if (!before && !guided) {
        now->explored = now->evaluations;
    }
    if (!status) {
        status = bml_mcmc__imp_reserve(s, guided ? n : (ptrdiff_t)now->n_points + n, before + n);
    }
    if (status) return status;
    status = bml_mcmc__imp_weighed_draws(s, &log_kept, &q, n);
    if (status) return status;
    for (ptrdiff_t i = 0; i < n; i++) {
        double *row = s->fresh + (before + i) * (d + 2);
        bml_mcmc__copy(row, s->trial_theta + i * d, d);
        row[d] = s->trial_log_l[i];
        row[d + 1] = log_kept[i];
    }
    now->n_fresh += (uint64_t)n;
    now->log_z = bml_mcmc__imp_evidence(s, &now->error, &now->ess);
    if (bml_mcmc__imp_poor(s, guided)) {
        now->n_fresh = 0;
        now->phase = BML_MCMC__IMP_EXPLORE;
        if (guided) {
            bml_mcmc__imp_guided_end(s, log_kept, n);
        } else {
            status = bml_mcmc__imp_stage_end(s, n);
        }
    }
    BML_MCMC_FREE(log_kept);
    return status;
}

/* A round, taken whole or not at all. */
static int bml_mcmc__imp_round(bml_mcmc_importance *s) {
    bml_mcmc__imp_state before = s->now;
    bml_mcmc__imp_density q = bml_mcmc__imp_density_of(s, s->now.stage);
    double number[BML_MCMC__IMP_NUMBERS];
    bml_mcmc__copy(number, q.number, BML_MCMC__IMP_NUMBERS);
    bml_mcmc__copy(s->chain_before, s->chain, BML_MCMC__IMP_CHAINS * (s->d + 1));
    int exploring = s->now.phase == BML_MCMC__IMP_EXPLORE;
    int status = exploring ? bml_mcmc__imp_explore(s) : bml_mcmc__imp_sample(s);
    if (status) {
        s->now = before;
        bml_mcmc__copy(q.number, number, BML_MCMC__IMP_NUMBERS);
        bml_mcmc__copy(s->chain, s->chain_before, BML_MCMC__IMP_CHAINS * (s->d + 1));
        return status;
    }
    s->now.round++;
    return BML_MCMC_OK;
}

/* >> importance: create, run, results */

static int bml_mcmc__imp_check(bml_mcmc_importance_config *c, char *why) {
    static const bml_mcmc__rule rules[] = {
        {"n_dim", offsetof(bml_mcmc_importance_config, n_dim), BML_MCMC__INT, 1, BML_MCMC__IMP_MOST_DIM, 0},
        {"batch", offsetof(bml_mcmc_importance_config, batch), BML_MCMC__INT, 1, 1e9, 1000},
        {"min_ess", offsetof(bml_mcmc_importance_config, min_ess), BML_MCMC__REAL, 1, 1e8, 10000},
        {"error", offsetof(bml_mcmc_importance_config, error), BML_MCMC__REAL, 1e-4, 1e9, 0.05},
    };
    if (!c->log_likelihood) {
        return bml_mcmc__fail(why, BML_MCMC_BAD_ARGUMENT, "log_likelihood is missing");
    }
    int status = bml_mcmc__apply_rules(c, rules, (int)(sizeof rules / sizeof *rules), why);
    if (status) return status;
    if (!c->prior == !c->transform) {
        return bml_mcmc__fail(why, BML_MCMC_BAD_ARGUMENT, "prior, transform: one of them must be given, and not both");
    }
    if (c->prior && c->prior->n_dim != c->n_dim) {
        return bml_mcmc__fail(why, BML_MCMC_BAD_ARGUMENT, "n_dim = %d: the prior has %d dimensions", c->n_dim,
                              (int)c->prior->n_dim);
    }
    if (!c->points) {
        c->points = c->n_dim > 10 ? 100 * c->n_dim : 1000;
    }
    if (c->points < 20 * c->n_dim || c->points > 1000000) {
        return bml_mcmc__fail(why, BML_MCMC_BAD_ARGUMENT, "points = %d: must be in [%d, 1000000]", c->points,
                              20 * c->n_dim);
    }
    return BML_MCMC_OK;
}

/* The block's arrays: those that a state holds, then the others. */
static ptrdiff_t bml_mcmc__imp_saved_doubles(const bml_mcmc_importance *s) {
    return BML_MCMC__IMP_WINDOW * s->density_size + BML_MCMC__IMP_CHAINS * (s->d + 1);
}

BML_MCMC_DEF int(bml_mcmc_importance_create)(bml_mcmc_importance **out, const bml_mcmc_importance_config *config,
                                             char *why) {
    char nowhere[BML_MCMC_MESSAGE];
    if (!why) {
        why = nowhere;
    }
    why[0] = 0;
    if (!out) {
        return bml_mcmc__fail(why, BML_MCMC_BAD_ARGUMENT, "there is no place for the sampler");
    }
    *out = NULL;
    if (!config) {
        return bml_mcmc__fail(why, BML_MCMC_BAD_ARGUMENT, "config is missing");
    }
    bml_mcmc_importance_config resolved = *config;
    int status = bml_mcmc__imp_check(&resolved, why);
    if (status) return status;
    bml_mcmc_importance *s = (bml_mcmc_importance *)BML_MCMC_MALLOC(sizeof *s);
    if (!s) {
        return bml_mcmc__say(why, BML_MCMC_NO_MEMORY, "");
    }
    memset(s, 0, sizeof *s);
    s->config = resolved;
    s->d = resolved.n_dim;
    s->density_size = bml_mcmc__imp_layout(s->d, NULL).size;
    ptrdiff_t room = bml_mcmc__imp_saved_doubles(s) + BML_MCMC__IMP_CHAINS * (s->d + 1) + 5 * s->d;
    s->block = bml_mcmc__doubles(room + BML_MCMC__IMP_BLOCK * (2 * s->d + 2), 1);
    if (!s->block) {
        bml_mcmc_importance_free(s);
        return bml_mcmc__say(why, BML_MCMC_NO_MEMORY, "");
    }
    s->density = s->block;
    s->chain = s->density + BML_MCMC__IMP_WINDOW * s->density_size;
    s->chain_before = s->chain + BML_MCMC__IMP_CHAINS * (s->d + 1);
    s->scratch = s->chain_before + BML_MCMC__IMP_CHAINS * (s->d + 1);
    s->ratio = s->scratch + 5 * s->d;
    s->log_mixture = s->ratio + BML_MCMC__IMP_BLOCK;
    s->tried = s->log_mixture + BML_MCMC__IMP_BLOCK;
    s->tried_theta = s->tried + BML_MCMC__IMP_BLOCK * s->d;
    *out = s;
    return BML_MCMC_OK;
}

BML_MCMC_DEF void bml_mcmc_importance_free(bml_mcmc_importance *s) {
    if (!s) {
        return;
    }
    BML_MCMC_FREE(s->block);
    BML_MCMC_FREE(s->point);
    BML_MCMC_FREE(s->fresh);
    BML_MCMC_FREE(s->trial);
    BML_MCMC_FREE(s->sorted);
    BML_MCMC_FREE(s->other);
    BML_MCMC_FREE(s);
}

BML_MCMC_DEF const char *bml_mcmc_importance_message(const bml_mcmc_importance *s) {
    return s ? s->message : "";
}

static int bml_mcmc__imp_reached(const bml_mcmc_importance *s) {
    return s->now.n_fresh && s->now.ess >= s->config.min_ess && s->now.error <= s->config.error;
}

BML_MCMC_DEF int bml_mcmc_importance_run(bml_mcmc_importance *s, uint64_t max_calls) {
    if (!s) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    uint64_t start = s->now.evaluations;
    s->message[0] = 0;
    BML_MCMC_FREE(s->other);
    s->other = NULL;
    if (s->now.n_fresh) {
        s->now.log_z = bml_mcmc__imp_evidence(s, &s->now.error, &s->now.ess);
    }
    while (!bml_mcmc__imp_reached(s)) {
        if (max_calls && s->now.evaluations - start >= max_calls) {
            return bml_mcmc__fail(s->message, BML_MCMC_NOT_CONVERGED, "%llu evaluations made, more are wanted",
                                  (unsigned long long)s->now.evaluations);
        }
        double fresh = (double)s->now.n_fresh;
        int hopeless = fresh >= 2 * s->config.min_ess + 1000 && s->now.ess * BML_MCMC__IMP_DRAWS < fresh;
        if (hopeless || fresh >= BML_MCMC__IMP_DRAWS * s->config.min_ess + 1000) {
            return bml_mcmc__fail(s->message, BML_MCMC_NOT_CONVERGED, "%.0f fresh draws have %.0f effective samples",
                                  fresh, s->now.ess);
        }
        int status = bml_mcmc__imp_round(s);
        if (status) return status;
    }
    return BML_MCMC_OK;
}

/* Share of the chains that end where the draws have the 1 % of the posterior of largest weights, sorted ascending with
   their shares; and what chance allows: four standard deviations and three chains. */
static int bml_mcmc__imp_strays(bml_mcmc_importance_result *r, bml_mcmc_importance *s, const bml_mcmc__key *key) {
    bml_mcmc__imp_density q = bml_mcmc__imp_density_of(s, s->now.stage);
    double log_kept[BML_MCMC__IMP_CHAINS];
    int status = bml_mcmc__imp_log_kept(s, log_kept, &q, s->chain, s->d + 1, BML_MCMC__IMP_CHAINS);
    double chains = BML_MCMC__IMP_CHAINS;
    double above = 0;
    ptrdiff_t i = (ptrdiff_t)s->now.n_fresh;
    while (i > 1 && above < 0.01)
        above += key[--i].tie;
    for (ptrdiff_t c = 0; c < BML_MCMC__IMP_CHAINS; c++) {
        const double *at = s->chain + c * (s->d + 1);
        r->strays += (at[s->d] - log_kept[c] > key[i].value) / chains;
    }
    r->strays_allowed = above + (4 * sqrt(above * chains) + 3) / chains;
    return status;
}

/* By how much the weights of the Pareto shape exceed the next smaller one, of keys sorted ascending with their shares.
   */
static double bml_mcmc__imp_tail(const bml_mcmc__key *key, ptrdiff_t n) {
    ptrdiff_t m = (ptrdiff_t)fmin(0.2 * (double)n, 3 * sqrt((double)n));
    double excess = 0;
    for (ptrdiff_t i = n - m; i < n && m > 0; i++)
        excess += key[i].tie - key[n - 1 - m].tie;
    return excess;
}

/* s->sorted and *r from the fresh points. */
static int bml_mcmc__imp_result(bml_mcmc_importance *s, bml_mcmc_importance_result *r, bml_mcmc__key *key) {
    ptrdiff_t d = s->d;
    ptrdiff_t n = (ptrdiff_t)s->now.n_fresh;
    double *log_l = s->sorted + n * d;
    double *weight = log_l + n;
    double *work = weight + n;
    bml_mcmc__imp_density q = bml_mcmc__imp_density_of(s, s->now.stage);
    r->log_z = bml_mcmc__imp_evidence(s, &r->log_z_error, &r->ess);
    if (!(r->log_z > -DBL_MAX)) {
        return bml_mcmc__fail(s->message, BML_MCMC_NO_SUPPORT, "-infinite at all %lld fresh points", (long long)n);
    }
    double scale = bml_mcmc__imp_log_share(&q) - log((double)n) - r->log_z;
    for (ptrdiff_t i = 0; i < n; i++) {
        const double *row = s->fresh + i * (d + 2);
        bml_mcmc__copy(s->sorted + i * d, row, d);
        log_l[i] = s->other ? s->other[i] : row[d];
        key[i].value = bml_mcmc__imp_fresh_weight(s, i);
        work[i] = key[i].value > -DBL_MAX ? key[i].value : -1e300;
        weight[i] = exp(key[i].value + scale);
        key[i].tie = weight[i];
        key[i].index = i;
        r->information += weight[i] > 0 ? weight[i] * (log_l[i] - r->log_z) : 0;
        r->largest_weight = fmax(r->largest_weight, weight[i]);
    }
    bml_mcmc__sort_keys(key, n);
    r->pareto = bml_mcmc__pareto_shape(work, n);
    r->tail = bml_mcmc__imp_tail(key, n);
    int status = s->other ? BML_MCMC_OK : bml_mcmc__imp_strays(r, s, key);
    if (status) return status;
    r->n_points = (size_t)n;
    r->theta = s->sorted;
    r->log_likelihood = log_l;
    r->weight = weight;
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_importance_get_result(bml_mcmc_importance *s, bml_mcmc_importance_result *result) {
    if (!s || !result) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    ptrdiff_t n = (ptrdiff_t)s->now.n_fresh;
    memset(result, 0, sizeof *result);
    if (!n) {
        return bml_mcmc__fail(s->message, BML_MCMC_NOT_STARTED, "no fresh draws yet");
    }
    BML_MCMC_FREE(s->sorted);
    s->sorted = bml_mcmc__doubles(n, s->d + 3);
    bml_mcmc__key *key = (bml_mcmc__key *)bml_mcmc__doubles(bml_mcmc__room(n, sizeof *key), 1);
    int status = s->sorted && key ? bml_mcmc__imp_result(s, result, key) : bml_mcmc__imp_no_memory(s);
    BML_MCMC_FREE(key);
    if (status) return status;
    result->converged = result->ess >= s->config.min_ess && result->log_z_error <= s->config.error;
    result->evaluations = s->now.evaluations;
    result->exploring_evaluations = s->now.explored;
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_importance_reweigh(bml_mcmc_importance *s, bml_mcmc_importance_result *result,
                                             const double *log_likelihood) {
    bml_mcmc_importance_result r;
    if (!s) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    if (!log_likelihood) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "log_likelihood is missing");
    }
    ptrdiff_t n = (ptrdiff_t)s->now.n_fresh;
    if (!n) {
        return bml_mcmc__fail(s->message, BML_MCMC_NOT_STARTED, "no fresh draws yet");
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        int wrong = bml_mcmc__judge(log_likelihood[i]);
        if (wrong) {
            return bml_mcmc__fail(s->message, wrong, "log_likelihood[%lld]", (long long)i);
        }
    }
    double *other = bml_mcmc__doubles(n, 1);
    if (!other) {
        return bml_mcmc__imp_no_memory(s);
    }
    bml_mcmc__copy(other, log_likelihood, n);
    double *before = s->other;
    s->other = other;
    int status = bml_mcmc_importance_get_result(s, &r);
    if (status) {
        s->other = before;
        BML_MCMC_FREE(other);
        return status;
    }
    BML_MCMC_FREE(before);
    if (result) {
        *result = r;
    }
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_importance_draw(bml_mcmc_importance *s, double *theta, double *log_likelihood, size_t n,
                                          uint64_t seed) {
    bml_mcmc_importance_result r;
    if (!s) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    int status = bml_mcmc_importance_get_result(s, &r);
    if (status) return status;
    if (!theta || !n) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "theta is missing, or n is 0");
    }
    bml_mcmc_rng rng = bml_mcmc__stream(seed, 0, 0, BML_MCMC__IMP_STREAM);
    ptrdiff_t count = (ptrdiff_t)n;
    double offset = bml_mcmc_rng_uniform(&rng);
    double sum = r.weight[0];
    ptrdiff_t *order = (ptrdiff_t *)bml_mcmc__doubles(bml_mcmc__room(count, sizeof *order), 1);
    if (!order) {
        return bml_mcmc__imp_no_memory(s);
    }
    for (ptrdiff_t i = 0; i < count; i++)
        order[i] = i;
    for (ptrdiff_t i = count - 1; i > 0; i--) {
        ptrdiff_t j = bml_mcmc__below(&rng, i + 1);
        ptrdiff_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    size_t j = 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        while (j < r.n_points - 1 && sum < ((double)i + offset) / (double)count)
            sum += r.weight[++j];
        bml_mcmc__copy(theta + order[i] * s->d, r.theta + (ptrdiff_t)j * s->d, s->d);
        if (log_likelihood) {
            log_likelihood[order[i]] = r.log_likelihood[j];
        }
    }
    BML_MCMC_FREE(order);
    return BML_MCMC_OK;
}

/* One parameter's numbers; key[n] is scratch. */
static void bml_mcmc__imp_summarize(bml_mcmc_summary *out, const bml_mcmc_importance_result *r, ptrdiff_t k,
                                    ptrdiff_t d, bml_mcmc__key *key) {
    static const double quantile[3] = {0.5, 0.15865525393145705, 0.8413447460685429};
    double value[3] = {0, 0, 0};
    double square = 0;
    double before = 0;
    ptrdiff_t n = (ptrdiff_t)r->n_points;
    memset(out, 0, sizeof *out);
    for (ptrdiff_t i = 0; i < n; i++) {
        key[i].value = r->theta[i * d + k];
        key[i].tie = 0;
        key[i].index = i;
        out->mean += r->weight[i] * key[i].value;
    }
    bml_mcmc__sort_keys(key, n);
    for (ptrdiff_t i = 0; i < n; i++) {
        double w = r->weight[key[i].index];
        double x = key[i].value;
        square += w * (x - out->mean) * (x - out->mean);
        for (int q = 0; q < 3; q++)
            if (before <= quantile[q] && before + w > quantile[q]) {
                value[q] = x;
            }
        before += w;
    }
    out->sd = sqrt(square);
    out->ess = out->ess_bulk = out->ess_tail = r->ess;
    out->median = value[0];
    out->minus = value[0] - value[1];
    out->plus = value[2] - value[0];
    out->tau = out->rhat = BML_MCMC__NAN;
}

BML_MCMC_DEF int bml_mcmc_importance_summary(bml_mcmc_importance *s, bml_mcmc_summary *out) {
    bml_mcmc_importance_result r;
    if (!out) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    int status = bml_mcmc_importance_get_result(s, &r);
    if (status) return status;
    ptrdiff_t words = bml_mcmc__room((ptrdiff_t)r.n_points, sizeof(bml_mcmc__key));
    bml_mcmc__key *key = (bml_mcmc__key *)bml_mcmc__doubles(words, 1);
    if (!key) {
        return bml_mcmc__imp_no_memory(s);
    }
    for (ptrdiff_t k = 0; k < s->d; k++)
        bml_mcmc__imp_summarize(&out[k], &r, k, s->d, key);
    BML_MCMC_FREE(key);
    return BML_MCMC_OK;
}

static void bml_mcmc__imp_edges(bml_mcmc_verdict *v, const bml_mcmc_importance *s,
                                const bml_mcmc_importance_result *r) {
    const bml_mcmc_prior *prior = s->config.prior;
    for (ptrdiff_t k = 0; prior && k < s->d; k++) {
        double mass[2] = {0, 0};
        for (ptrdiff_t i = 0; i < (ptrdiff_t)r->n_points; i++) {
            double place = bml_mcmc__prior_place(prior, k, r->theta + i * s->d);
            mass[0] += place < BML_MCMC__EDGE_WIDTH ? r->weight[i] : 0;
            mass[1] += place > 1 - BML_MCMC__EDGE_WIDTH ? r->weight[i] : 0;
        }
        if (!bml_mcmc__is_finite(prior->param[k].lower)) {
            mass[0] = 0;
        }
        if (!bml_mcmc__is_finite(prior->param[k].upper)) {
            mass[1] = 0;
        }
        bml_mcmc__say_edges(v, k, mass, s->config.names);
    }
}

BML_MCMC_DEF int bml_mcmc_importance_verdict(bml_mcmc_verdict *v, bml_mcmc_importance *s) {
    bml_mcmc_importance_result r;
    if (!v || !s) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    bml_mcmc__verdict_begin(v);
    int status = bml_mcmc_importance_get_result(s, &r);
    if (status) {
        return v->status = status;
    }
    v->ess_bulk = v->ess_tail = v->check_ess = r.ess;
    v->check_log_z = r.log_z;
    v->check_log_z_error = r.log_z_error;
    v->check_pareto = r.pareto;
    if (!r.converged) {
        bml_mcmc__add_reason(v, BML_MCMC_REASON_UNFINISHED, 1,
                             "the effective samples or the error wanted were not reached: the samples are", r.ess,
                             s->config.min_ess);
    }
    if (!(r.ess >= 100)) {
        bml_mcmc__add_reason(v, BML_MCMC_REASON_ESS, 1, "the effective posterior samples are", r.ess, 100);
    }
    double hidden = fmin(s->config.error, BML_MCMC__IMP_TAIL);
    if (!(r.pareto < BML_MCMC__CHECK_PARETO || r.tail < hidden)) {
        bml_mcmc__add_reason(
            v, BML_MCMC_REASON_PARETO, 1,
            "a few draws outweigh the others, so that mass is missed: the Pareto shape of the weights is", r.pareto,
            BML_MCMC__CHECK_PARETO);
    }
    if (!(r.tail < BML_MCMC__IMP_THICK || r.pareto < 1.0 / 3)) {
        bml_mcmc__add_reason(
            v, BML_MCMC_REASON_PARETO, 1,
            "the largest weights exceed the others by much of the posterior, so that mass is missed: by", r.tail,
            BML_MCMC__IMP_THICK);
    }
    double efficiency = r.ess / (double)r.n_points;
    if (!(efficiency >= BML_MCMC__IMP_POOR)) {
        bml_mcmc__add_reason(
            v, BML_MCMC_REASON_PARETO, 1,
            "the density fits poorly, so that its error says little: effective samples for each draw are", efficiency,
            BML_MCMC__IMP_POOR);
    }
    if (!(r.largest_weight <= BML_MCMC__IMP_HEAVY)) {
        bml_mcmc__add_reason(v, BML_MCMC_REASON_PARETO, 1, "one draw holds a share of the posterior of",
                             r.largest_weight, BML_MCMC__IMP_HEAVY);
    }
    if (!(r.strays <= r.strays_allowed)) {
        bml_mcmc__add_reason(
            v, BML_MCMC_REASON_STRAYS, 1,
            "Markov chains find mass that the draws miss: the share of chains where they have 1 % of it is", r.strays,
            r.strays_allowed);
    }
    bml_mcmc__imp_edges(v, s, &r);
    s->message[0] = 0;
    return v->status;
}

/* >> importance: save and load
   Counters; densities and chains; points; fresh rows. */

static const ptrdiff_t bml_mcmc__imp_now_words = (ptrdiff_t)(sizeof(bml_mcmc__imp_state) / 8);

static ptrdiff_t bml_mcmc__imp_body(const bml_mcmc_importance *s, const bml_mcmc__imp_state *now) {
    ptrdiff_t rows = (ptrdiff_t)now->n_points * (s->d + BML_MCMC__IMP_EXTRA);
    return bml_mcmc__imp_now_words + bml_mcmc__imp_saved_doubles(s) + rows + (ptrdiff_t)now->n_fresh * (s->d + 2);
}

static void bml_mcmc__imp_fingerprint(uint64_t *words, const bml_mcmc_importance *s) {
    memset(words, 0, 8 * BML_MCMC__FIXED);
    words[0] = (uint64_t)s->config.n_dim;
    words[1] = (uint64_t)s->config.points;
    words[2] = s->config.seed;
}

BML_MCMC_DEF size_t bml_mcmc_importance_save_size(const bml_mcmc_importance *s) {
    if (!s || !s->now.n_points) {
        return 0;
    }
    return 8 * (size_t)(BML_MCMC__HEAD + BML_MCMC__FIXED + 1 + bml_mcmc__imp_body(s, &s->now));
}

BML_MCMC_DEF int bml_mcmc_importance_save(bml_mcmc_importance *s, void *buffer, size_t size) {
    uint64_t fixed[BML_MCMC__FIXED];
    unsigned char *at = (unsigned char *)buffer;
    if (!s) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    ptrdiff_t words = (ptrdiff_t)(bml_mcmc_importance_save_size(s) / 8);
    bml_mcmc__imp_fingerprint(fixed, s);
    int status = bml_mcmc__save_head(s->message, &at, size, words, fixed, words ? bml_mcmc__imp_body(s, &s->now) : 0);
    if (status) return status;
    bml_mcmc__put(&at, &s->now, bml_mcmc__imp_now_words);
    bml_mcmc__put(&at, s->block, bml_mcmc__imp_saved_doubles(s));
    bml_mcmc__put(&at, s->point, (ptrdiff_t)s->now.n_points * (s->d + BML_MCMC__IMP_EXTRA));
    bml_mcmc__put(&at, s->fresh, (ptrdiff_t)s->now.n_fresh * (s->d + 2));
    bml_mcmc__seal(buffer, words, BML_MCMC__KIND_IMPORTANCE);
    return BML_MCMC_OK;
}

/* Could a run have left these counts, in a body of n words? */
static int bml_mcmc__imp_state_sane(const bml_mcmc_importance *s, const bml_mcmc__imp_state *now, ptrdiff_t n) {
    uint64_t most = (uint64_t)n;
    int counts = now->phase <= BML_MCMC__IMP_SAMPLE && now->stage >= 1 && now->stage <= BML_MCMC__IMP_STAGES;
    counts = counts && now->refined <= BML_MCMC__IMP_STAGES && now->round <= 0xFFFFFFFFu && now->chains <= 1;
    counts = counts && now->guided <= BML_MCMC__IMP_GUIDED && now->alone <= 2;
    counts = counts && now->led <= BML_MCMC__IMP_STAGES && now->stuck <= now->led;
    counts = counts && now->evaluations <= BML_MCMC__LAST_STEP && now->explored <= now->evaluations;
    counts = counts && now->n_points >= 1 && now->n_points <= most && now->n_fresh <= most;
    counts = counts && (now->phase == BML_MCMC__IMP_SAMPLE || !now->n_fresh);
    counts = counts && n == bml_mcmc__imp_body(s, now);
    int numbers = now->power >= 0 && now->power <= 1 && now->efficiency == now->efficiency;
    numbers = numbers && now->chain_power >= 0 && now->chain_power <= now->power;
    numbers = numbers && fabs(now->guide) <= DBL_MAX;
    return counts && numbers && now->log_z == now->log_z && now->ess >= 0 && now->error >= 0;
}

static int bml_mcmc__imp_floats_finite(const float *x, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++)
        if (!(fabsf(x[i]) <= FLT_MAX)) {
            return 0;
        }
    return 1;
}

static int bml_mcmc__imp_density_sane(const bml_mcmc__imp_density *q) {
    const double *number = q->number;
    double K = number[BML_MCMC__IMP_COMPONENTS];
    if (!bml_mcmc__all_finite(number, q->offset + q->m - number)) {
        return 0;
    }
    if (!bml_mcmc__imp_floats_finite(q->whiten, q->m * q->m)) {
        return 0;
    }
    if (!bml_mcmc__imp_floats_finite(q->network, bml_mcmc__imp_n_weights(q->m))) {
        return 0;
    }
    if (!(K >= 0 && K <= (double)BML_MCMC__MAX_COMPONENTS && K == floor(K) && number[BML_MCMC__IMP_DRAWN] >= 0)) {
        return 0;
    }
    if (!(number[BML_MCMC__IMP_BY_GUIDE] >= 0 && number[BML_MCMC__IMP_BY_GUIDE] <= 1)) {
        return 0;
    }
    int tried = number[BML_MCMC__IMP_TRIES] >= 1 && number[BML_MCMC__IMP_SUM] > 0;
    int floor_good = number[BML_MCMC__IMP_LEAST] > 0 && number[BML_MCMC__IMP_LEAST] <= 1;
    return K == 0 || (floor_good && (tried || number[BML_MCMC__IMP_DRAWN] == 0));
}

static int bml_mcmc__imp_point_sane(const bml_mcmc_importance *s, const double *row) {
    const double *extra = row + s->d;
    double born = extra[BML_MCMC__IMP_BORN];
    double slot = extra[BML_MCMC__IMP_SLOT];
    int place = bml_mcmc__imp_inside(row, s->d) && bml_mcmc__all_finite(extra, BML_MCMC__IMP_EXTRA);
    place = place && born >= 0 && born <= (double)BML_MCMC__IMP_STAGES;
    return place && slot >= -1 && slot < (double)BML_MCMC__IMP_WINDOW && slot == floor(slot);
}

/* A state whose draws follow a guide goes on with that guide alone. */
static int bml_mcmc__imp_guide_same(bml_mcmc_importance *s, const bml_mcmc__imp_density *last) {
    double now;
    if ((s->now.guided || s->now.led) && !s->config.guide) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_STATE, "saved with a guide, and there is none now");
    }
    if (s->now.phase != BML_MCMC__IMP_SAMPLE || last->number[BML_MCMC__IMP_BY_GUIDE] == 0) {
        return BML_MCMC_OK;
    }
    if (!s->config.guide || !bml_mcmc__imp_inside(s->chain, s->d)) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_STATE, "the state contradicts itself");
    }
    int status = bml_mcmc__imp_guide(s, &now, s->chain, 1);
    now = now > -DBL_MAX ? now : -DBL_MAX;
    if (status || bml_mcmc__same_value(s->now.guide, now)) {
        return status;
    }
    return bml_mcmc__fail(s->message, BML_MCMC_BAD_STATE, "guide %.10g saved, %.10g now: another guide", s->now.guide,
                          now);
}

/* What was read must be possible, and some of the points must have their likelihoods here too. */
static int bml_mcmc__imp_check_loaded(bml_mcmc_importance *s) {
    ptrdiff_t d = s->d;
    ptrdiff_t n = (ptrdiff_t)s->now.n_points;
    ptrdiff_t m = n < 50 ? n : 50;
    int good = bml_mcmc__all_finite(s->fresh, (ptrdiff_t)s->now.n_fresh * (d + 2));
    good = good && bml_mcmc__all_finite(s->chain, BML_MCMC__IMP_CHAINS * (d + 1));
    for (int t = 0; t < BML_MCMC__IMP_WINDOW && good; t++) {
        bml_mcmc__imp_density q = bml_mcmc__imp_density_of(s, (uint64_t)t);
        good = bml_mcmc__imp_density_sane(&q);
        if (good) {
            bml_mcmc__imp_side_by_side(&q);
        }
    }
    bml_mcmc__imp_density last = bml_mcmc__imp_density_of(s, s->now.stage);
    if (good && s->now.phase == BML_MCMC__IMP_SAMPLE) {
        good = last.number[BML_MCMC__IMP_COMPONENTS] > 0;
        good = good && (last.number[BML_MCMC__IMP_TRIES] >= 1 || !s->now.n_fresh);
    }
    for (ptrdiff_t i = 0; i < n && good; i++)
        good = bml_mcmc__imp_point_sane(s, bml_mcmc__imp_point(s, i));
    if (!good) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_STATE, "the state contradicts itself");
    }
    int status = bml_mcmc__imp_guide_same(s, &last);
    if (!status) {
        status = bml_mcmc__imp_trials(s, m);
    }
    for (ptrdiff_t i = 0; i < m && !status; i++)
        bml_mcmc__copy(s->trial + i * d, bml_mcmc__imp_point(s, i * (n - 1) / (m > 1 ? m - 1 : 1)), d);
    if (!status) {
        status = bml_mcmc__imp_transform(s, s->trial_theta, s->trial, m);
    }
    if (!status) {
        status = bml_mcmc__imp_likelihood(s, 0, m);
    }
    for (ptrdiff_t i = 0; i < m && !status; i++) {
        double saved = bml_mcmc__imp_extra(s, i * (n - 1) / (m > 1 ? m - 1 : 1))[BML_MCMC__IMP_LOG_L];
        if (!bml_mcmc__same_value(saved, s->trial_log_l[i])) {
            status = bml_mcmc__fail(s->message, BML_MCMC_BAD_STATE,
                                    "log-likelihood %.10g saved, %.10g now: another problem", saved, s->trial_log_l[i]);
        }
    }
    return status;
}

/* Reads into a sampler of its own, which changes places with *s when nothing is wrong. */
BML_MCMC_DEF int bml_mcmc_importance_load(bml_mcmc_importance *s, const void *buffer, size_t size) {
    static const char *const names[3] = {"n_dim", "points", "seed"};
    uint64_t fixed[BML_MCMC__FIXED];
    const unsigned char *at;
    bml_mcmc_importance *loaded;
    ptrdiff_t n = 0;
    if (!s) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    bml_mcmc__expected want = {BML_MCMC__KIND_IMPORTANCE, fixed, names, 3, BML_MCMC__HEAD + BML_MCMC__FIXED + 1, 1};
    bml_mcmc__imp_fingerprint(fixed, s);
    int status = bml_mcmc__check_head(s->message, buffer, size, &want, &at, &n);
    if (!status && n < bml_mcmc__imp_now_words + bml_mcmc__imp_saved_doubles(s)) {
        status = bml_mcmc__fail(s->message, BML_MCMC_BAD_STATE, "no points");
    }
    if (!status) {
        status = bml_mcmc_importance_create(&loaded, &s->config, s->message);
    }
    if (status) return status;
    bml_mcmc__imp_state now;
    bml_mcmc__get(&now, &at, bml_mcmc__imp_now_words);
    if (!bml_mcmc__imp_state_sane(s, &now, n)) {
        status = bml_mcmc__fail(loaded->message, BML_MCMC_BAD_STATE, "its counts are impossible");
    }
    if (!status) {
        status = bml_mcmc__imp_reserve(loaded, (ptrdiff_t)now.n_points, (ptrdiff_t)now.n_fresh);
    }
    if (!status) {
        loaded->now = now;
        bml_mcmc__get(loaded->block, &at, bml_mcmc__imp_saved_doubles(s));
        bml_mcmc__get(loaded->point, &at, (ptrdiff_t)now.n_points * (s->d + BML_MCMC__IMP_EXTRA));
        bml_mcmc__get(loaded->fresh, &at, (ptrdiff_t)now.n_fresh * (s->d + 2));
        status = bml_mcmc__imp_check_loaded(loaded);
    }
    if (!status) {
        bml_mcmc_importance swap = *s;
        *s = *loaded;
        *loaded = swap;
        s->message[0] = 0;
    } else {
        memcpy(s->message, loaded->message, sizeof s->message);
    }
    bml_mcmc_importance_free(loaded);
    return status;
}
#endif /* BML_MCMC_NO_IMPORTANCE */

#ifndef BML_MCMC_NO_NUTS
/* >> NUTS
   The chains go ahead independently; each asks for one gradient at a time, and all that are asked for go to the
   callback together. A draw is a trajectory doubled forwards or backwards until its ends come nearer to each other
   (Hoffman & Gelman 2014, eq. 9), sampled by weights exp(-H): evenly inside a doubling, in favour of the later half
   between doublings (Betancourt 2017, A.3.2). Halves of halves are checked for their own turns with one stored state
   per level. A draw's random numbers are its own stream, and nothing but a whole draw changes the chain: cut short, it
   is made again. */

#define BML_MCMC__DIVERGENT 1000.0 /* energy error [nats] */
enum { BML_MCMC__MAX_DEPTH = 16 };
enum { BML_MCMC__FIND_STEP, BML_MCMC__BUILD_TREE };               /* what a chain is doing */
enum { BML_MCMC__NO_END, BML_MCMC__DIVERGED, BML_MCMC__AT_WALL }; /* how a trajectory was cut */

typedef struct bml_mcmc__place {
    double *y; /* [d] position */
    double *p; /* [d] momentum */
    double *g; /* [d] gradient */
} bml_mcmc__place;

/* What stays from draw to draw, words of 8 bytes each. */
typedef struct bml_mcmc__nuts_kept {
    uint64_t draws; /* warm-up included */
    uint64_t kept;
    uint64_t divergences;
    uint64_t walls;
    uint64_t deep;
    uint64_t gradients_kept;
    uint64_t need_step; /* a step size is to be found first */
    uint64_t window;    /* draws in it */
    uint64_t adapted;   /* draws since the step was found */
    double log_prob;
    double step;
    double mu; /* dual averaging: Hoffman & Gelman 2014, eq. 6 */
    double mean_error;
    double log_mean_step;
    double accept;
} bml_mcmc__nuts_kept;

typedef struct bml_mcmc__nuts_chain {
    bml_mcmc__nuts_kept k;
    double *saved;     /* the next five are saved */
    double *y;         /* [d] */
    double *g;         /* [d] */
    double *mean;      /* [d] of the window */
    double *L;         /* covariance L L^T, the inverse mass matrix: sd [d], or [d][d] */
    double *M2;        /* as L; of the window */
    double *L_inverse; /* [d][d], dense only */
    bml_mcmc__place left;
    bml_mcmc__place right;
    bml_mcmc__place now;
    bml_mcmc__place edge[BML_MCMC__MAX_DEPTH];
    double *tree_y; /* [d] the draw from the tree so far, */
    double *tree_g; /* [d] */
    double *half_y; /* [d] and from the doubling under way */
    double *half_g; /* [d] */
    double *scratch;
    double tree_log_prob;
    double half_log_prob;
    double tree_weight;
    double half_weight;
    double energy; /* of the trajectory's start */
    double sum_accept;
    double direction;
    double try_step;
    int mode;
    int depth;
    int leaves;
    int active;
    int tried;
    bml_mcmc_rng rng;
} bml_mcmc__nuts_chain;

struct bml_mcmc_nuts {
    bml_mcmc_nuts_config config;
    int started;
    int forgive;
    int dense;
    ptrdiff_t d;
    ptrdiff_t C;      /* n_chains */
    double *lower;    /* [d] */
    double *upper;    /* [d] */
    double *given_L;  /* as L of a chain: of config.covariance */
    double *theta;    /* [C][d] */
    double *gradient; /* [C][d] */
    double *log_prob; /* [C] */
    int *who;         /* [C] rows of the batch */
    double *answer;   /* [C] log-probabilities in y */
    double *steps;    /* [C], for info */
    bml_mcmc__nuts_chain *chain;
    double *draws;          /* [capacity][C][d] */
    double *draws_log_prob; /* [capacity][C] */
    double *draws_energy;   /* [capacity][C] */
    ptrdiff_t capacity;
    uint64_t gradients;
    uint64_t nans;
    char message[BML_MCMC_MESSAGE];
};

/* theta of y in one parameter; *slope = d theta/dy, *log_j = ln |slope|, *d_log_j its derivative. */
static double bml_mcmc__bounded(double y, double lower, double upper, double *slope, double *log_j, double *d_log_j) {
    int from_below = lower > -DBL_MAX;
    int from_above = upper < DBL_MAX;
    *slope = 1;
    *log_j = *d_log_j = 0;
    if (!from_below && !from_above) {
        return y;
    }
    if (from_below && from_above) { /* lower + (upper - lower)/(1 + e^-y) */
        double t = exp(-fabs(y));
        double tail = t / (1 + t);
        double width = upper - lower;
        *slope = width * t / ((1 + t) * (1 + t));
        *log_j = log(width) - fabs(y) - 2 * log1p(t);
        *d_log_j = y > 0 ? 2 * tail - 1 : 1 - 2 * tail;
        return y > 0 ? upper - width * tail : lower + width * tail;
    }
    double e = exp(y);
    *log_j = y;
    *d_log_j = 1; /* lower + e^y, upper - e^y */
    *slope = from_below ? e : -e;
    return from_below ? lower + e : upper - e;
}

/* theta[d] of y[d]; returns log_prob of y without the Jacobian: that of theta itself. */
static double bml_mcmc__nuts_theta(double *theta, const bml_mcmc_nuts *s, const double *y, double log_prob) {
    double slope;
    double log_j;
    double d_log_j;
    for (ptrdiff_t k = 0; k < s->d; k++) {
        theta[k] = bml_mcmc__bounded(y[k], s->lower[k], s->upper[k], &slope, &log_j, &d_log_j);
        log_prob -= log_j;
    }
    return log_prob;
}

/* y of one parameter inside its limits. */
static double bml_mcmc__unbounded(double x, double lower, double upper) {
    int from_below = lower > -DBL_MAX;
    int from_above = upper < DBL_MAX;
    if (from_below && from_above) {
        return log((x - lower) / (upper - x));
    }
    if (from_below) {
        return log(x - lower);
    }
    return from_above ? log(upper - x) : x;
}

/* Log-probability of y with the Jacobian, and its gradient, from those of theta. */
static double bml_mcmc__pull_back(double *g, const bml_mcmc_nuts *s, const double *y, double log_prob,
                                  const double *gradient) {
    for (ptrdiff_t k = 0; k < s->d; k++) {
        double slope;
        double log_j;
        double d_log_j;
        bml_mcmc__bounded(y[k], s->lower[k], s->upper[k], &slope, &log_j, &d_log_j);
        g[k] = gradient[k] * slope + d_log_j;
        log_prob += log_j;
    }
    return log_prob;
}

/* v = L^T p, the velocity but for L; returns |v|^2/2, the kinetic energy. */
static double bml_mcmc__kinetic_energy(const bml_mcmc_nuts *s, const bml_mcmc__nuts_chain *c, double *v,
                                       const double *p) {
    double sum = 0;
    for (ptrdiff_t i = 0; i < s->d; i++) {
        v[i] = s->dense ? 0 : c->L[i] * p[i];
        for (ptrdiff_t j = i; j < s->d && s->dense; j++)
            v[i] += c->L[j * s->d + i] * p[j];
        sum += 0.5 * v[i] * v[i];
    }
    return sum;
}

/* y += step L v, with v = L^T p from above. */
static void bml_mcmc__drift(const bml_mcmc_nuts *s, const bml_mcmc__nuts_chain *c, double *y, const double *v,
                            double step) {
    for (ptrdiff_t i = 0; i < s->d; i++) {
        double t = s->dense ? 0 : c->L[i] * v[i];
        for (ptrdiff_t j = 0; j <= i && s->dense; j++)
            t += c->L[i * s->d + j] * v[j];
        y[i] += step * t;
    }
}

static void bml_mcmc__kick(double *momentum, const double *gradient, double step, ptrdiff_t d) {
    for (ptrdiff_t k = 0; k < d; k++)
        momentum[k] += 0.5 * step * gradient[k];
}

/* A momentum p = L^-T z, and the energy of the point it starts from. */
static void bml_mcmc__draw_momentum(const bml_mcmc_nuts *s, bml_mcmc__nuts_chain *c, double *p) {
    double *z = c->scratch;
    double kinetic = 0;
    for (ptrdiff_t i = 0; i < s->d; i++) {
        z[i] = bml_mcmc_rng_normal(&c->rng);
        kinetic += 0.5 * z[i] * z[i];
    }
    for (ptrdiff_t i = 0; i < s->d; i++) {
        p[i] = s->dense ? 0 : z[i] / c->L[i];
        for (ptrdiff_t j = i; j < s->d && s->dense; j++)
            p[i] += c->L_inverse[j * s->d + i] * z[j];
    }
    c->energy = kinetic - c->k.log_prob;
}

static void bml_mcmc__copy_place(bml_mcmc__place *to, const bml_mcmc__place *from, ptrdiff_t d) {
    bml_mcmc__copy(to->y, from->y, d);
    bml_mcmc__copy(to->p, from->p, d);
    bml_mcmc__copy(to->g, from->g, d);
}

static double bml_mcmc__random_direction(bml_mcmc_rng *rng) {
    return bml_mcmc_rng_uniform(rng) < 0.5 ? -1 : 1;
}

/* Chain number i begins: a search for a step size, or a draw. */
static void bml_mcmc__begin_draw(bml_mcmc_nuts *s, ptrdiff_t i) {
    bml_mcmc__nuts_chain *c = s->chain + i;
    ptrdiff_t d = s->d;
    uint64_t number = 2 * c->k.draws + (c->k.need_step != 0);
    c->rng = bml_mcmc__numbered_stream(s->config.seed, (int)i, number);
    c->rng.counter[3] |= 0x80000000u;
    c->mode = c->k.need_step ? BML_MCMC__FIND_STEP : BML_MCMC__BUILD_TREE;
    bml_mcmc__copy(c->now.y, c->y, d);
    bml_mcmc__copy(c->now.g, c->g, d);
    bml_mcmc__draw_momentum(s, c, c->now.p);
    c->depth = c->leaves = c->tried = 0;
    c->sum_accept = c->tree_weight = 0;
    c->direction = 1;
    c->try_step = c->k.step;
    c->active = 1;
    if (c->mode == BML_MCMC__FIND_STEP) {
        return;
    }
    bml_mcmc__copy_place(&c->left, &c->now, d);
    bml_mcmc__copy_place(&c->right, &c->now, d);
    bml_mcmc__copy(c->tree_y, c->y, d);
    bml_mcmc__copy(c->tree_g, c->g, d);
    c->tree_log_prob = c->k.log_prob;
    c->half_weight = -BML_MCMC__INF;
    c->direction = bml_mcmc__random_direction(&c->rng);
}

/* First half of a leapfrog step: now.y becomes the point whose gradient is wanted. */
static void bml_mcmc__leapfrog_out(const bml_mcmc_nuts *s, bml_mcmc__nuts_chain *c) {
    double step = c->direction * c->try_step;
    bml_mcmc__kick(c->now.p, c->now.g, step, s->d);
    bml_mcmc__kinetic_energy(s, c, c->scratch, c->now.p);
    bml_mcmc__drift(s, c, c->now.y, c->scratch, step);
}

/* Second half, with the gradient; returns the error of the energy. */
static double bml_mcmc__leapfrog_in(const bml_mcmc_nuts *s, bml_mcmc__nuts_chain *c, double log_prob) {
    bml_mcmc__kick(c->now.p, c->now.g, c->direction * c->try_step, s->d);
    return bml_mcmc__kinetic_energy(s, c, c->scratch, c->now.p) - log_prob - c->energy;
}

/* Do the places turn towards each other? b follows a in the direction of building. */
static int bml_mcmc__u_turn(const bml_mcmc__place *a, const bml_mcmc__place *b, double direction, ptrdiff_t d) {
    double along_a = 0;
    double along_b = 0;
    for (ptrdiff_t k = 0; k < d; k++) {
        along_a += (b->y[k] - a->y[k]) * a->p[k];
        along_b += (b->y[k] - a->y[k]) * b->p[k];
    }
    return !(direction * along_a > 0 && direction * along_b > 0);
}

/* Leaf number n of a doubling is in: keep the state of even ones, by the number of ones in n/2, and check odd ones
   against the first leaf of each subtree that they end. */
static int bml_mcmc__subtree_u_turn(bml_mcmc__nuts_chain *c, int n, ptrdiff_t d) {
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
        if (bml_mcmc__u_turn(&c->edge[i], &c->now, c->direction, d)) {
            return 1;
        }
    return 0;
}

/* The new leaf is the doubling's draw with probability exp(-error) over the weight of all its leaves. */
static void bml_mcmc__draw_leaf(bml_mcmc__nuts_chain *c, double log_prob, double error, ptrdiff_t d) {
    int first = !(c->half_weight > -BML_MCMC__INF);
    c->half_weight = first ? -error : bml_mcmc__log_add(c->half_weight, -error);
    if (!(log(bml_mcmc_rng_uniform(&c->rng)) < -error - c->half_weight)) {
        return;
    }
    bml_mcmc__copy(c->half_y, c->now.y, d);
    bml_mcmc__copy(c->half_g, c->now.g, d);
    c->half_log_prob = log_prob;
}

/* A doubling is whole: its draw becomes the tree's with the ratio of their weights, and its last leaf an end. */
static void bml_mcmc__join_half(bml_mcmc__nuts_chain *c, ptrdiff_t d) {
    bml_mcmc__copy_place(c->direction > 0 ? &c->right : &c->left, &c->now, d);
    if (log(bml_mcmc_rng_uniform(&c->rng)) < c->half_weight - c->tree_weight) {
        bml_mcmc__copy(c->tree_y, c->half_y, d);
        bml_mcmc__copy(c->tree_g, c->half_g, d);
        c->tree_log_prob = c->half_log_prob;
    }
    c->tree_weight = bml_mcmc__log_add(c->tree_weight, c->half_weight);
}

/* The leaf whose gradient has come, and what follows. Returns 1 at the end of a draw; *cut, *deep say how. */
static int bml_mcmc__grow_tree(bml_mcmc_nuts *s, bml_mcmc__nuts_chain *c, double log_prob, int *cut, int *deep) {
    ptrdiff_t d = s->d;
    double error = bml_mcmc__leapfrog_in(s, c, log_prob);
    if (!(error < BML_MCMC__DIVERGENT)) {
        error = BML_MCMC__INF;
    }
    c->sum_accept += error > 0 ? exp(-error) : 1;
    c->tried++;
    if (error > BML_MCMC__DIVERGENT) {
        *cut = log_prob > -DBL_MAX ? BML_MCMC__DIVERGED : BML_MCMC__AT_WALL;
        return 1;
    }
    bml_mcmc__draw_leaf(c, log_prob, error, d);
    if (bml_mcmc__subtree_u_turn(c, c->leaves, d)) {
        return 1;
    }
    c->leaves++;
    if (c->leaves < 1 << c->depth) {
        return 0;
    }
    bml_mcmc__join_half(c, d);
    if (bml_mcmc__u_turn(&c->left, &c->right, 1, d)) {
        return 1;
    }
    c->depth++;
    *deep = c->depth == s->config.max_depth;
    if (*deep) {
        return 1;
    }
    c->direction = bml_mcmc__random_direction(&c->rng);
    bml_mcmc__copy_place(&c->now, c->direction > 0 ? &c->right : &c->left, d);
    c->leaves = 0;
    c->half_weight = -BML_MCMC__INF;
    return 0;
}

/* Hoffman & Gelman 2014, algorithm 4: the step is doubled or halved until one leap's acceptance crosses 0.8. */
static int bml_mcmc__find_step(bml_mcmc_nuts *s, bml_mcmc__nuts_chain *c, double log_prob) {
    int good = bml_mcmc__leapfrog_in(s, c, log_prob) < 0.2231435513142098; /* -ln 0.8 */
    if (!c->tried) {
        c->depth = good ? 1 : -1;
    }
    c->tried++;
    if (good != (c->depth > 0) || c->tried > 100) {
        c->k.step = c->try_step;
        c->k.mu = log(10 * c->try_step);
        c->k.mean_error = c->k.log_mean_step = 0;
        c->k.adapted = c->k.need_step = 0;
        return 1;
    }
    c->try_step *= c->depth > 0 ? 2 : 0.5;
    bml_mcmc__copy(c->now.y, c->y, s->d);
    bml_mcmc__copy(c->now.g, c->g, s->d);
    bml_mcmc__draw_momentum(s, c, c->now.p);
    return 0;
}

/* The first draw of the first window. */
static int bml_mcmc__first_window(int warmup) {
    int begin = 15 * (warmup / 100) + 15 * (warmup % 100) / 100;
    return begin < 75 ? begin : 75;
}

/* Warm-up: 15 % finds the bulk, windows of doubling length give the mass matrix, 10 % settle the step (the ways of
   Stan's manual). 1 at a window's last draw. */
static int bml_mcmc__window_ends(int draw, int warmup) {
    int begin = bml_mcmc__first_window(warmup);
    int end = warmup - warmup / 10;
    int width = warmup / 40 > 5 ? warmup / 40 : 5;
    if (end < warmup - 50) {
        end = warmup - 50;
    }
    while (begin < end) {
        int last = begin + 3 * width > end ? end : begin + width; /* the next one would not fit: one long window */
        if (draw == last - 1) {
            return 1;
        }
        if (last == end) {
            return 0;
        }
        begin += width;
        width *= 2;
    }
    return 0;
}

/* The window's covariance, shrunk as in Stan, becomes the inverse mass matrix. */
static void bml_mcmc__new_mass_matrix(bml_mcmc_nuts *s, bml_mcmc__nuts_chain *c) {
    ptrdiff_t d = s->d;
    ptrdiff_t m = s->dense ? d * d : d;
    double n = (double)c->k.window;
    double f = n / (n + 5) / (n - 1);
    double *L = s->dense ? c->L_inverse : c->L; /* dense: in scratch first */
    for (ptrdiff_t i = 0; i < m; i++)
        L[i] = c->M2[i] * f;
    for (ptrdiff_t i = 0; i < d; i++)
        L[s->dense ? i * d + i : i] += 1e-3 * 5 / (n + 5);
    if (s->dense) {
        if (bml_mcmc__cholesky(L, d, 1e-14)) {
            bml_mcmc__copy(c->L, L, m);
        }
        bml_mcmc__invert_lower(c->L_inverse, c->L, d);
    }
    for (ptrdiff_t i = 0; i < d && !s->dense; i++)
        c->L[i] = sqrt(c->L[i]);
    bml_mcmc__clear(c->mean, d);
    bml_mcmc__clear(c->M2, m);
    c->k.window = 0;
    c->k.need_step = 1;
}

/* Hoffman & Gelman 2014, eq. 6. */
static void bml_mcmc__dual_averaging(bml_mcmc__nuts_kept *k, double accept_error) {
    k->adapted++;
    double m = (double)k->adapted;
    double eta = 1 / (m + 10);
    double power = pow(m, -0.75);
    k->mean_error = (1 - eta) * k->mean_error + eta * accept_error;
    double log_step = k->mu - sqrt(m) / 0.05 * k->mean_error;
    k->log_mean_step = power * log_step + (1 - power) * k->log_mean_step;
    k->step = exp(log_step);
}

/* The draw goes to the window's moments (Welford 1962). */
static void bml_mcmc__window_add(bml_mcmc_nuts *s, bml_mcmc__nuts_chain *c) {
    ptrdiff_t d = s->d;
    double *delta = c->scratch;
    c->k.window++;
    for (ptrdiff_t i = 0; i < d; i++) {
        delta[i] = c->y[i] - c->mean[i];
        c->mean[i] += delta[i] / (double)c->k.window;
    }
    for (ptrdiff_t i = 0; i < d; i++) {
        if (!s->dense) {
            c->M2[i] += delta[i] * (c->y[i] - c->mean[i]);
        }
        for (ptrdiff_t j = 0; j <= i && s->dense; j++)
            c->M2[i * d + j] += delta[i] * (c->y[j] - c->mean[j]);
    }
}

/* A draw of the warm-up. */
static void bml_mcmc__adapt(bml_mcmc_nuts *s, bml_mcmc__nuts_chain *c) {
    int warmup = s->config.warmup;
    int draw = (int)c->k.draws;
    bml_mcmc__dual_averaging(&c->k, s->config.target_accept - c->sum_accept / c->tried);
    if (!s->config.covariance && draw >= bml_mcmc__first_window(warmup)) {
        bml_mcmc__window_add(s, c);
        if (bml_mcmc__window_ends(draw, warmup)) {
            bml_mcmc__new_mass_matrix(s, c);
        }
    }
    if (draw < warmup - 1) {
        return;
    }
    c->k.step = exp(c->k.log_mean_step);
    c->k.need_step = 0;
}

/* The end of chain i's draw. */
static void bml_mcmc__end_draw(bml_mcmc_nuts *s, ptrdiff_t i, int cut, int deep) {
    bml_mcmc__nuts_chain *c = s->chain + i;
    bml_mcmc__nuts_kept *k = &c->k;
    bml_mcmc__copy(c->y, c->tree_y, s->d);
    bml_mcmc__copy(c->g, c->tree_g, s->d);
    k->log_prob = c->tree_log_prob;
    c->active = 0;
    if (k->draws < (uint64_t)s->config.warmup) {
        bml_mcmc__adapt(s, c);
        k->draws++;
        return;
    }
    ptrdiff_t row = (ptrdiff_t)k->kept * s->C + i;
    s->draws_log_prob[row] = bml_mcmc__nuts_theta(s->draws + row * s->d, s, c->y, k->log_prob);
    s->draws_energy[row] = c->energy;
    k->kept++;
    k->divergences += cut == BML_MCMC__DIVERGED;
    k->walls += cut == BML_MCMC__AT_WALL;
    k->deep += (uint64_t)deep;
    k->gradients_kept += (uint64_t)c->tried;
    k->accept += c->sum_accept / c->tried;
    k->draws++;
}

/* theta of the n places in s->who; answer = 0, or -infinity for one that flew away: it asks for where it came from, and
   is told that it is nowhere. */
static void bml_mcmc__nuts_ask(bml_mcmc_nuts *s, ptrdiff_t n) {
    ptrdiff_t d = s->d;
    for (ptrdiff_t i = 0; i < n; i++) {
        bml_mcmc__nuts_chain *c = s->chain + s->who[i];
        double *theta = s->theta + i * d;
        bml_mcmc__nuts_theta(theta, s, c->now.y, 0);
        int good = bml_mcmc__all_finite(theta, d) && bml_mcmc__all_finite(c->now.y, d);
        if (!good) {
            bml_mcmc__nuts_theta(theta, s, c->y, 0);
        }
        s->answer[i] = good ? 0 : -BML_MCMC__INF;
    }
    bml_mcmc__fill(s->gradient, BML_MCMC__NAN, n * d); /* what a callback leaves out is found */
    bml_mcmc__fill(s->log_prob, BML_MCMC__NAN, n);
}

/* One gradient of every chain in s->who[n]. */
static int bml_mcmc__nuts_call(bml_mcmc_nuts *s, ptrdiff_t n) {
    ptrdiff_t d = s->d;
    int forgiven = 0;
    bml_mcmc__nuts_ask(s, n);
    s->config.log_prob(s->log_prob, s->gradient, s->theta, (int)n, (int)d, s->config.user);
    s->gradients += (uint64_t)n;
    for (ptrdiff_t i = 0; i < n; i++) {
        bml_mcmc__nuts_chain *c = s->chain + s->who[i];
        const double *gradient = s->gradient + i * d;
        int wrong = bml_mcmc__judge(s->log_prob[i]);
        int possible = s->log_prob[i] > -DBL_MAX;
        if (possible && !wrong && !bml_mcmc__all_finite(gradient, d)) {
            wrong = BML_MCMC_NAN;
        }
        int rejected = s->forgive || (wrong == BML_MCMC_NAN && s->config.nan_policy == BML_MCMC_NAN_REJECTED);
        if (wrong && !rejected) {
            bml_mcmc__fail(s->message, wrong, "chain %d: log-probability %g or its gradient is not finite at",
                           s->who[i], s->log_prob[i]);
            bml_mcmc__append_point(s->message, s->theta + i * d, d);
            s->forgive = 1;
            return wrong;
        }
        if (wrong) {
            s->nans++;
        }
        forgiven |= wrong != 0;
        if (wrong || !possible) {
            s->answer[i] = -BML_MCMC__INF;
        }
        if (s->answer[i] == 0) {
            s->answer[i] = bml_mcmc__pull_back(c->now.g, s, c->now.y, s->log_prob[i], gradient);
        }
    }
    if (forgiven) {
        s->forgive = 0;
    }
    return BML_MCMC_OK;
}

static int bml_mcmc__nuts_reserve(bml_mcmc_nuts *s, ptrdiff_t target) {
    size_t bytes;
    if (target <= s->capacity) {
        return BML_MCMC_OK;
    }
    if (!bml_mcmc__multiply(&bytes, target, s->C, (s->d + 2) * (ptrdiff_t)sizeof(double))) {
        return bml_mcmc__fail(s->message, BML_MCMC_TOO_LARGE, "%lld draws", (long long)target);
    }
    int grown = bml_mcmc__grow(&s->draws, target, s->C * s->d);
    if (grown) {
        grown = bml_mcmc__grow(&s->draws_log_prob, target, s->C);
    }
    if (grown) {
        grown = bml_mcmc__grow(&s->draws_energy, target, s->C);
    }
    if (!grown) {
        return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "%lld draws", (long long)target);
    }
    s->capacity = target;
    return BML_MCMC_OK;
}

/* The fewest, or the most, draws that a chain keeps. */
static ptrdiff_t bml_mcmc__nuts_stored(const bml_mcmc_nuts *s, int most) {
    uint64_t kept = s->chain[0].k.kept;
    for (ptrdiff_t i = 1; i < s->C; i++) {
        uint64_t other = s->chain[i].k.kept;
        if (most ? other > kept : other < kept) {
            kept = other;
        }
    }
    return (ptrdiff_t)kept;
}

static int bml_mcmc__nuts_report(const bml_mcmc_nuts *s, ptrdiff_t target) {
    bml_mcmc_nuts_progress p;
    memset(&p, 0, sizeof p);
    for (ptrdiff_t i = 0; i < s->C; i++) {
        p.draws += s->chain[i].k.draws;
        p.divergences += s->chain[i].k.divergences;
    }
    p.last = (uint64_t)(target + s->config.warmup) * (uint64_t)s->C;
    p.gradients = s->gradients;
    return s->config.progress(&p, s->config.progress_user);
}

/* The chains that have draws to make leap; returns how many. */
static ptrdiff_t bml_mcmc__nuts_leap(bml_mcmc_nuts *s, uint64_t last) {
    ptrdiff_t n = 0;
    for (ptrdiff_t i = 0; i < s->C; i++) {
        bml_mcmc__nuts_chain *c = s->chain + i;
        if (!c->active && c->k.draws >= last) {
            continue;
        }
        if (!c->active) {
            bml_mcmc__begin_draw(s, i);
        }
        bml_mcmc__leapfrog_out(s, c);
        s->who[n++] = (int)i;
    }
    return n;
}

/* The answers of the n chains that leapt; returns how many draws ended. */
static uint64_t bml_mcmc__nuts_land(bml_mcmc_nuts *s, ptrdiff_t n) {
    uint64_t finished = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        bml_mcmc__nuts_chain *c = s->chain + s->who[i];
        int cut = BML_MCMC__NO_END;
        int deep = 0;
        if (c->mode == BML_MCMC__FIND_STEP) {
            c->active = !bml_mcmc__find_step(s, c, s->answer[i]);
        } else if (bml_mcmc__grow_tree(s, c, s->answer[i], &cut, &deep)) {
            bml_mcmc__end_draw(s, s->who[i], cut, deep);
            finished++;
        }
    }
    return finished;
}

/* >> NUTS: create, start, run, results */

static const bml_mcmc__rule bml_mcmc__nuts_rules[9] = {
    {"step", offsetof(bml_mcmc_nuts_config, step), BML_MCMC__REAL, 0, 1e100, 0},
    {"n_dim", offsetof(bml_mcmc_nuts_config, n_dim), BML_MCMC__INT, 1, 10000, 0},
    {"n_chains", offsetof(bml_mcmc_nuts_config, n_chains), BML_MCMC__INT, 1, 10000, 4},
    {"metric", offsetof(bml_mcmc_nuts_config, metric), BML_MCMC__INT, 0, BML_MCMC_DENSE, 0},
    {"warmup", offsetof(bml_mcmc_nuts_config, warmup), BML_MCMC__INT, 20, 100000000, 1000},
    {"target_accept", offsetof(bml_mcmc_nuts_config, target_accept), BML_MCMC__REAL, 1e-6, 0.999999, 0.8},
    {"gradient_tolerance", offsetof(bml_mcmc_nuts_config, gradient_tolerance), BML_MCMC__REAL, 1e-15, 0.999999, 1e-3},
    {"max_depth", offsetof(bml_mcmc_nuts_config, max_depth), BML_MCMC__INT, 1, BML_MCMC__MAX_DEPTH, 10},
    {"nan_policy", offsetof(bml_mcmc_nuts_config, nan_policy), BML_MCMC__INT, 0, 1, 0},
};

static double bml_mcmc__lower_limit(const bml_mcmc_nuts_config *c, ptrdiff_t k) {
    if (c->lower) {
        return c->lower[k];
    }
    return c->prior ? c->prior->param[k].lower : -BML_MCMC__INF;
}

static double bml_mcmc__upper_limit(const bml_mcmc_nuts_config *c, ptrdiff_t k) {
    if (c->upper) {
        return c->upper[k];
    }
    return c->prior ? c->prior->param[k].upper : BML_MCMC__INF;
}

static int bml_mcmc__nuts_resolve(bml_mcmc_nuts *s) {
    bml_mcmc_nuts_config *c = &s->config;
    if (!c->log_prob) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "log_prob is missing");
    }
    int status = bml_mcmc__apply_rules(c, bml_mcmc__nuts_rules, 9, s->message);
    if (status) return status;
    if (c->metric == BML_MCMC_DENSE && c->n_dim > 1000) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "n_dim = %d: at most 1000 with a dense metric",
                              c->n_dim);
    }
    if (c->prior && c->prior->n_dim != c->n_dim) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "the prior has %d dimensions, the sampler %d",
                              (int)c->prior->n_dim, c->n_dim);
    }
    for (ptrdiff_t k = 0; k < c->n_dim; k++) {
        double lower = bml_mcmc__lower_limit(c, k);
        double upper = bml_mcmc__upper_limit(c, k);
        if (lower < upper) {
            continue;
        }
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT,
                              "parameter %d: lower = %g, upper = %g: lower < upper is needed", (int)k, lower, upper);
    }
    return BML_MCMC_OK;
}

/* Doubles saved of each chain. */
static ptrdiff_t bml_mcmc__nuts_saved(const bml_mcmc_nuts *s) {
    ptrdiff_t m = s->dense ? s->d * s->d : s->d;
    return 3 * s->d + 2 * m;
}

static void bml_mcmc__place_layout(bml_mcmc__place *place, double *base, ptrdiff_t *used, ptrdiff_t d) {
    place->y = bml_mcmc__take(base, used, d);
    place->p = bml_mcmc__take(base, used, d);
    place->g = bml_mcmc__take(base, used, d);
}

static void bml_mcmc__nuts_chain_layout(bml_mcmc__nuts_chain *c, const bml_mcmc_nuts *s, double *base,
                                        ptrdiff_t *used) {
    ptrdiff_t d = s->d;
    ptrdiff_t m = s->dense ? d * d : d;
    c->saved = bml_mcmc__take(base, used, 0);
    c->y = bml_mcmc__take(base, used, d);
    c->g = bml_mcmc__take(base, used, d);
    c->mean = bml_mcmc__take(base, used, d);
    c->L = bml_mcmc__take(base, used, m);
    c->M2 = bml_mcmc__take(base, used, m);
    c->L_inverse = bml_mcmc__take(base, used, s->dense ? m : 0);
    bml_mcmc__place_layout(&c->left, base, used, d);
    bml_mcmc__place_layout(&c->right, base, used, d);
    bml_mcmc__place_layout(&c->now, base, used, d);
    for (int k = 0; k < BML_MCMC__MAX_DEPTH; k++)
        bml_mcmc__place_layout(&c->edge[k], base, used, d);
    c->tree_y = bml_mcmc__take(base, used, d);
    c->tree_g = bml_mcmc__take(base, used, d);
    c->half_y = bml_mcmc__take(base, used, d);
    c->half_g = bml_mcmc__take(base, used, d);
    c->scratch = bml_mcmc__take(base, used, d);
}

static ptrdiff_t bml_mcmc__nuts_layout(bml_mcmc_nuts *s, double *base) {
    ptrdiff_t used = bml_mcmc__room(1, sizeof *s);
    ptrdiff_t d = s->d;
    ptrdiff_t C = s->C;
    bml_mcmc__nuts_chain counted;
    s->lower = bml_mcmc__take(base, &used, d);
    s->upper = bml_mcmc__take(base, &used, d);
    s->given_L = bml_mcmc__take(base, &used, s->dense ? d * d : d);
    s->theta = bml_mcmc__take(base, &used, C * d);
    s->gradient = bml_mcmc__take(base, &used, C * d);
    s->log_prob = bml_mcmc__take(base, &used, C);
    s->who = (int *)bml_mcmc__take(base, &used, bml_mcmc__room(C, sizeof *s->who));
    s->answer = bml_mcmc__take(base, &used, C);
    s->steps = bml_mcmc__take(base, &used, C);
    s->chain = (bml_mcmc__nuts_chain *)bml_mcmc__take(base, &used, bml_mcmc__room(C, sizeof *s->chain));
    for (ptrdiff_t i = 0; i < C; i++)
        bml_mcmc__nuts_chain_layout(base ? s->chain + i : &counted, s, base, &used);
    return used;
}

/* The factor L of the given covariance, or of the unit matrix; 0 when it has none. */
static int bml_mcmc__given_metric(bml_mcmc_nuts *s) {
    const double *given = s->config.covariance;
    ptrdiff_t d = s->d;
    double *L = s->given_L;
    for (ptrdiff_t i = 0; i < d; i++)
        L[s->dense ? i * d + i : i] = 1;
    if (!given) {
        return 1;
    }
    bml_mcmc__copy(L, given, s->dense ? d * d : d);
    if (s->dense) {
        return bml_mcmc__all_finite(L, d * d) && bml_mcmc__cholesky(L, d, 1e-14);
    }
    for (ptrdiff_t i = 0; i < d; i++) {
        if (!(L[i] > 0 && L[i] <= DBL_MAX)) {
            return 0;
        }
        L[i] = sqrt(L[i]);
    }
    return 1;
}

BML_MCMC_DEF int(bml_mcmc_nuts_create)(bml_mcmc_nuts **s, const bml_mcmc_nuts_config *config, char *why) {
    bml_mcmc_nuts draft;
    if (why) {
        why[0] = 0;
    }
    if (!s) {
        return bml_mcmc__say(why, BML_MCMC_BAD_ARGUMENT, "there is no place for the sampler");
    }
    *s = NULL;
    if (!config) {
        return bml_mcmc__say(why, BML_MCMC_BAD_ARGUMENT, "config is missing");
    }
    memset(&draft, 0, sizeof draft);
    draft.config = *config;
    int status = bml_mcmc__nuts_resolve(&draft);
    if (status) {
        return bml_mcmc__say(why, status, draft.message);
    }
    draft.d = draft.config.n_dim;
    draft.C = draft.config.n_chains;
    draft.dense = draft.config.metric == BML_MCMC_DENSE;
    double *block = bml_mcmc__doubles(bml_mcmc__nuts_layout(&draft, NULL), 1);
    if (!block) {
        return bml_mcmc__say(why, BML_MCMC_NO_MEMORY, NULL);
    }
    bml_mcmc_nuts *made = (bml_mcmc_nuts *)block;
    *made = draft;
    bml_mcmc__nuts_layout(made, block);
    for (ptrdiff_t k = 0; k < made->d; k++) {
        made->lower[k] = bml_mcmc__lower_limit(config, k);
        made->upper[k] = bml_mcmc__upper_limit(config, k);
    }
    made->config.lower = made->lower;
    made->config.upper = made->upper;
    if (!bml_mcmc__given_metric(made)) {
        BML_MCMC_FREE(block);
        return bml_mcmc__say(why, BML_MCMC_BAD_ARGUMENT, "covariance: not finite, or not positive definite");
    }
    *s = made;
    return BML_MCMC_OK;
}

BML_MCMC_DEF void bml_mcmc_nuts_free(bml_mcmc_nuts *s) {
    if (!s) {
        return;
    }
    BML_MCMC_FREE(s->draws);
    BML_MCMC_FREE(s->draws_log_prob);
    BML_MCMC_FREE(s->draws_energy);
    BML_MCMC_FREE(s);
}

BML_MCMC_DEF const char *bml_mcmc_nuts_message(const bml_mcmc_nuts *s) {
    return s ? s->message : "";
}

/* The step sizes that finite differences take: theta's own scale, within half of the way to a limit. */
static int bml_mcmc__nuts_check_gradient(bml_mcmc_nuts *s, const double *theta) {
    double worst = 0;
    double *scale = s->chain[0].scratch;
    for (ptrdiff_t k = 0; k < s->d; k++) {
        double below = theta[k] - s->lower[k];
        double above = s->upper[k] - theta[k];
        double room = below < above ? below : above;
        scale[k] = fabs(theta[k]) + 1 < room ? fabs(theta[k]) + 1 : room;
    }
    int status = bml_mcmc_check_gradient(&worst, s->config.log_prob, theta, scale, s->config.n_dim, s->config.user);
    if (status == BML_MCMC_BAD_GRADIENT && worst <= s->config.gradient_tolerance) {
        status = BML_MCMC_OK;
    }
    if (!status) {
        return status;
    }
    return bml_mcmc__fail(s->message, status, "at the first start position: worst relative difference %.3g", worst);
}

/* Chain i forgets all and stands at theta[d]. */
static int bml_mcmc__nuts_place(bml_mcmc_nuts *s, ptrdiff_t i, const double *theta) {
    bml_mcmc__nuts_chain *c = s->chain + i;
    ptrdiff_t d = s->d;
    memset(&c->k, 0, sizeof c->k);
    bml_mcmc__clear(c->saved, bml_mcmc__nuts_saved(s));
    s->who[i] = (int)i;
    c->k.need_step = s->config.step == 0;
    c->k.step = s->config.step > 0 ? s->config.step : 1;
    c->k.mu = log(10 * c->k.step);
    bml_mcmc__copy(c->L, s->given_L, s->dense ? d * d : d);
    if (s->dense) {
        bml_mcmc__invert_lower(c->L_inverse, c->L, d);
    }
    for (ptrdiff_t k = 0; k < d; k++) {
        double x = theta[k];
        if (!(x > s->lower[k] && x < s->upper[k] && bml_mcmc__is_finite(x))) {
            return bml_mcmc__fail(s->message, BML_MCMC_BAD_START,
                                  "chain %d: parameter %d is %g, not inside its limits [%g, %g]", (int)i, (int)k, x,
                                  s->lower[k], s->upper[k]);
        }
        c->y[k] = bml_mcmc__unbounded(x, s->lower[k], s->upper[k]);
        c->now.y[k] = c->y[k];
    }
    return BML_MCMC_OK;
}

BML_MCMC_DEF int bml_mcmc_nuts_start(bml_mcmc_nuts *s, const double *theta) {
    if (!s) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    if (!theta) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "theta is missing");
    }
    s->started = 0;
    s->forgive = 0;
    s->gradients = 0;
    s->nans = 0;
    int status = BML_MCMC_OK;
    for (ptrdiff_t i = 0; i < s->C && !status; i++)
        status = bml_mcmc__nuts_place(s, i, theta + i * s->d);
    if (!status) {
        status = bml_mcmc__nuts_check_gradient(s, theta);
    }
    if (!status) {
        status = bml_mcmc__nuts_call(s, s->C);
    }
    if (status) return status;
    for (ptrdiff_t i = 0; i < s->C; i++) {
        if (!(s->answer[i] > -DBL_MAX)) {
            return bml_mcmc__fail(s->message, BML_MCMC_BAD_START, "chain %d starts at log-probability -infinity",
                                  (int)i);
        }
        s->chain[i].k.log_prob = s->answer[i];
        bml_mcmc__copy(s->chain[i].g, s->chain[i].now.g, s->d);
    }
    s->started = 1;
    s->message[0] = 0;
    return BML_MCMC_OK;
}

/* theta[d] of chain i, drawn from the prior until its log-probability is finite. */
static int bml_mcmc__nuts_draw(bml_mcmc_nuts *s, double *theta, double *cube, ptrdiff_t i) {
    bml_mcmc_rng rng = bml_mcmc__numbered_stream(s->config.seed, (int)i, 0);
    for (int draw = 0; draw < BML_MCMC__REDRAWS; draw++) {
        double log_prob = BML_MCMC__NAN;
        for (ptrdiff_t k = 0; k < s->d; k++)
            cube[k] = bml_mcmc_rng_uniform(&rng);
        int status = bml_mcmc_prior_transform(s->config.prior, theta, cube);
        if (status) {
            return bml_mcmc__fail(s->message, status, "chain %d could not be drawn from the prior", (int)i);
        }
        s->config.log_prob(&log_prob, s->gradient, theta, 1, s->config.n_dim, s->config.user);
        if (bml_mcmc__is_finite(log_prob)) {
            return BML_MCMC_OK;
        }
    }
    return bml_mcmc__fail(s->message, BML_MCMC_BAD_START, "chain %d: the log-probability is not finite at %d draws",
                          (int)i, (int)BML_MCMC__REDRAWS);
}

BML_MCMC_DEF int bml_mcmc_nuts_start_prior(bml_mcmc_nuts *s) {
    if (!s) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    if (!s->config.prior) {
        return bml_mcmc__fail(s->message, BML_MCMC_BAD_ARGUMENT, "config.prior is missing");
    }
    double *theta = bml_mcmc__doubles(s->C + 1, s->d);
    if (!theta) {
        return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "out of memory");
    }
    int status = BML_MCMC_OK;
    for (ptrdiff_t i = 0; i < s->C && !status; i++)
        status = bml_mcmc__nuts_draw(s, theta + i * s->d, theta + s->C * s->d, i);
    if (!status) {
        status = bml_mcmc_nuts_start(s, theta);
    }
    BML_MCMC_FREE(theta);
    return status;
}

BML_MCMC_DEF int bml_mcmc_nuts_run(bml_mcmc_nuts *s, size_t n_draws) {
    if (!s) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    if (!s->started) {
        return bml_mcmc__fail(s->message, BML_MCMC_NOT_STARTED, "call bml_mcmc_nuts_start first");
    }
    s->message[0] = 0;
    if (n_draws > PTRDIFF_MAX / 64) {
        return bml_mcmc__fail(s->message, BML_MCMC_TOO_LARGE, "more than 2^57 draws");
    }
    ptrdiff_t target = bml_mcmc__nuts_stored(s, 0) + (ptrdiff_t)n_draws;
    ptrdiff_t most = bml_mcmc__nuts_stored(s, 1);
    target = target > most ? target : most;
    int status = bml_mcmc__nuts_reserve(s, target);
    uint64_t finished = 0;
    for (ptrdiff_t i = 0; i < s->C; i++)
        s->chain[i].active = 0;
    while (!status) {
        ptrdiff_t n = bml_mcmc__nuts_leap(s, (uint64_t)(target + s->config.warmup));
        if (!n) {
            return BML_MCMC_OK;
        }
        status = bml_mcmc__nuts_call(s, n);
        if (status) {
            break;
        }
        uint64_t before = finished / (uint64_t)s->C;
        finished += bml_mcmc__nuts_land(s, n);
        if (finished / (uint64_t)s->C == before || !s->config.progress) {
            continue;
        }
        if (bml_mcmc__nuts_report(s, target)) {
            status = bml_mcmc__fail(s->message, BML_MCMC_CANCELLED, "after %llu gradients",
                                    (unsigned long long)s->gradients);
        }
    }
    return status;
}

BML_MCMC_DEF bml_mcmc_chain bml_mcmc_nuts_chain(const bml_mcmc_nuts *s) {
    bml_mcmc_chain c = {NULL, NULL, 0, 0, 0};
    if (!s || !s->started) {
        return c;
    }
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
    double gradients = 0;
    memset(&r, 0, sizeof r);
    if (!s) {
        return r;
    }
    r.n_dim = s->config.n_dim;
    r.n_chains = s->config.n_chains;
    r.gradients = s->gradients;
    r.nans = s->nans;
    r.draws = (uint64_t)bml_mcmc__nuts_stored(s, 0);
    for (ptrdiff_t i = 0; i < s->C; i++) {
        const bml_mcmc__nuts_kept *k = &s->chain[i].k;
        r.divergences += k->divergences;
        r.walls += k->walls;
        r.max_depth_hits += k->deep;
        r.mean_accept += k->accept;
        kept += (double)k->kept;
        gradients += (double)k->gradients_kept;
        s->steps[i] = k->step;
    }
    r.mean_accept /= kept > 0 ? kept : 1;
    r.mean_tree = gradients / (kept > 0 ? kept : 1);
    r.step_size = s->steps;
    return r;
}

/* The smallest E-BFMI of all chains (Betancourt 2016, arXiv:1604.00695): mean squared step of the energy over its
   variance. Small: a draw's new momentum is too weak to take the chain through all energies. */
static double bml_mcmc__e_bfmi(const bml_mcmc_nuts *s, ptrdiff_t n) {
    double worst = BML_MCMC__INF;
    for (ptrdiff_t i = 0; i < s->C; i++) {
        double mean = 0;
        double steps2 = 0;
        double sum2 = 0;
        for (ptrdiff_t t = 0; t < n; t++)
            mean += s->draws_energy[t * s->C + i] / (double)n;
        for (ptrdiff_t t = 0; t < n; t++) {
            double e = s->draws_energy[t * s->C + i];
            double step = t ? e - s->draws_energy[(t - 1) * s->C + i] : 0;
            steps2 += step * step / (double)(n - 1);
            sum2 += (e - mean) * (e - mean) / (double)n;
        }
        double bfmi = sum2 > 0 ? steps2 / sum2 : 0;
        worst = bfmi < worst ? bfmi : worst;
    }
    return worst;
}

/* Trajectories: divergences, walls, trees cut short. */
static void bml_mcmc__judge_trajectories(bml_mcmc_verdict *v, const bml_mcmc_nuts *s) {
    bml_mcmc_nuts_info info = bml_mcmc_nuts_get_info(s);
    double all = (double)info.draws * (double)s->C;
    double walls = (double)info.walls / all;
    double deep = (double)info.max_depth_hits / all;
    double divergent = (double)info.divergences / all;
    if (info.divergences) {
        bml_mcmc__add_reason(
            v, BML_MCMC_REASON_DIVERGENCES, divergent > BML_MCMC__DIVERGENT_SHARE,
            "trajectories diverged after the warm-up, at parts of the posterior that the draws then miss; "
            "their share of all is",
            divergent, BML_MCMC__DIVERGENT_SHARE);
    }
    if (info.walls) {
        bml_mcmc__add_reason(v, BML_MCMC_REASON_WALLS, walls > BML_MCMC__WALL_SHARE,
                             "trajectories ended at a log-probability of -infinity; their share of all is", walls,
                             BML_MCMC__WALL_SHARE);
    }
    if (info.max_depth_hits) {
        bml_mcmc__add_reason(v, BML_MCMC_REASON_DEPTH, deep > BML_MCMC__DEEP_SHARE,
                             "trees were cut by max_depth before they turned; their share of all is", deep,
                             BML_MCMC__DEEP_SHARE);
    }
}

BML_MCMC_DEF int bml_mcmc_nuts_verdict(bml_mcmc_verdict *v, bml_mcmc_nuts *s) {
    if (!v || !s) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    bml_mcmc_chain chain = bml_mcmc_nuts_chain(s);
    bml_mcmc__verdict_begin(v);
    int status = bml_mcmc__judge_chain(v, &chain, s->config.names);
    if (status) {
        v->status = status;
        return bml_mcmc__fail(s->message, status, "verdict on %llu draws (8 are needed)",
                              (unsigned long long)chain.n_steps);
    }
    v->e_bfmi = bml_mcmc__e_bfmi(s, (ptrdiff_t)chain.n_steps);
    if (!(v->e_bfmi >= BML_MCMC__EBFMI_LIMIT)) {
        bml_mcmc__add_reason(v, BML_MCMC_REASON_ENERGY, 1,
                             "the energy moves too little from draw to draw, so that tails are missed: the E-BFMI is",
                             v->e_bfmi, BML_MCMC__EBFMI_LIMIT);
    }
    bml_mcmc__judge_trajectories(v, s);
    bml_mcmc__judge_edges(v, &chain, s->config.prior, s->config.names);
    bml_mcmc__say_nans(v, s->nans);
    s->message[0] = 0;
    return v->status;
}

/* The relative difference between g and the central differences of the log-probabilities lp[2 N] at x[2 N][d] that
   agrees best. */
enum { BML_MCMC__DIFFERENCES = 7 };

static double bml_mcmc__best_difference(const double *lp, const double *x, double g, double norm, double rounding,
                                        ptrdiff_t d) {
    double best = BML_MCMC__INF;
    for (ptrdiff_t j = 0; j < BML_MCMC__DIFFERENCES; j++) {
        double width = x[2 * j * d] - x[(2 * j + 1) * d];
        double slope = (lp[2 * j] - lp[2 * j + 1]) / width;
        double error = fabs(slope - g) - rounding / width;
        double size = fabs(slope) + fabs(g) + norm;
        if (error <= best * size) {
            best = error > 0 ? error / size : 0;
        }
    }
    return best;
}

/* x[2 N][d] = theta but for parameter i, which goes up and down by h/10 ... h/10^N. */
static void bml_mcmc__difference_points(double *x, const double *theta, ptrdiff_t i, double h, ptrdiff_t d) {
    for (ptrdiff_t j = 0; j < 2 * BML_MCMC__DIFFERENCES; j++) {
        bml_mcmc__copy(x + j * d, theta, d);
        x[j * d + i] += (j % 2 ? -h : h) * pow(10, (double)(-1 - j / 2));
    }
}

BML_MCMC_DEF int bml_mcmc_check_gradient(double *worst, bml_mcmc_gradient f, const double *theta, const double *scale,
                                         int n_dim, void *user) {
    enum { N = 2 * BML_MCMC__DIFFERENCES };
    double lp[N + 1];
    if (!worst || !f || !theta || n_dim < 1) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    ptrdiff_t d = n_dim;
    double *block = bml_mcmc__doubles(2 * N + 2, d);
    if (!block) {
        return BML_MCMC_NO_MEMORY;
    }
    double *x = block;
    double *g = x + N * d;
    double *here = g + N * d; /* the gradient at theta */
    double *h = here + d;
    double largest = 0;
    int status = BML_MCMC_OK;
    *worst = 0;
    f(&lp[N], here, theta, 1, n_dim, user);
    for (ptrdiff_t i = 0; i < d; i++) {
        h[i] = scale ? scale[i] : fabs(theta[i]) + 1;
        double size = fabs(here[i]) * h[i];
        if (!(size <= DBL_MAX && bml_mcmc__is_finite(lp[N]))) {
            status = BML_MCMC_NAN;
        }
        largest = size > largest ? size : largest;
    }
    for (ptrdiff_t i = 0; i < d && !status; i++) {
        double norm = 1e-3 * largest / h[i] + DBL_MIN;
        bml_mcmc__difference_points(x, theta, i, h[i], d);
        f(lp, g, x, N, n_dim, user);
        double rounding = 8 * DBL_EPSILON * fabs(lp[N]);
        double best = bml_mcmc__best_difference(lp, x + i, here[i], norm, rounding, d);
        *worst = best > *worst ? best : *worst;
    }
    if (!status && !(*worst <= 1e-3)) {
        status = BML_MCMC_BAD_GRADIENT;
    }
    BML_MCMC_FREE(block);
    return status;
}

/* >> NUTS: save and load */

static void bml_mcmc__nuts_fingerprint(uint64_t *words, const bml_mcmc_nuts *s) {
    memset(words, 0, 8 * BML_MCMC__FIXED);
    words[0] = (uint64_t)s->config.n_dim;
    words[1] = (uint64_t)s->config.n_chains;
    words[2] = s->config.seed;
    words[3] = (uint64_t)s->config.metric;
    words[4] = (uint64_t)s->config.warmup;
    words[5] = (uint64_t)s->config.max_depth;
    memcpy(words + 6, &s->config.target_accept, 8);
    memcpy(words + 8, &s->config.step, 8);
    words[9] = bml_mcmc__checksum((const unsigned char *)s->given_L, s->dense ? s->d * s->d : s->d);
    for (ptrdiff_t k = 0; k < s->d; k++) {
        uint64_t lower = bml_mcmc__checksum((const unsigned char *)(s->lower + k), 1);
        uint64_t upper = bml_mcmc__checksum((const unsigned char *)(s->upper + k), 1);
        words[7] ^= lower + 3 * upper + (uint64_t)k;
    }
}

static const ptrdiff_t bml_mcmc__kept_words = (ptrdiff_t)(sizeof(bml_mcmc__nuts_kept) / 8);

/* Words of a state with n draws in every chain. */
static ptrdiff_t bml_mcmc__nuts_words(const bml_mcmc_nuts *s, ptrdiff_t n) {
    ptrdiff_t chain = bml_mcmc__kept_words + bml_mcmc__nuts_saved(s);
    return BML_MCMC__HEAD + BML_MCMC__FIXED + 3 + s->C * chain + n * s->C * (s->d + 2);
}

BML_MCMC_DEF size_t bml_mcmc_nuts_save_size(const bml_mcmc_nuts *s) {
    return s && s->started ? 8 * (size_t)bml_mcmc__nuts_words(s, bml_mcmc__nuts_stored(s, 1)) : 0;
}

BML_MCMC_DEF int bml_mcmc_nuts_save(bml_mcmc_nuts *s, void *buffer, size_t size) {
    uint64_t fixed[BML_MCMC__FIXED];
    unsigned char *at = (unsigned char *)buffer;
    if (!s) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    ptrdiff_t n = s->started ? bml_mcmc__nuts_stored(s, 1) : 0;
    ptrdiff_t words = s->started ? bml_mcmc__nuts_words(s, n) : 0;
    bml_mcmc__nuts_fingerprint(fixed, s);
    int status = bml_mcmc__save_head(s->message, &at, size, words, fixed, n);
    if (status) return status;
    bml_mcmc__put(&at, &s->gradients, 1);
    bml_mcmc__put(&at, &s->nans, 1);
    for (ptrdiff_t i = 0; i < s->C; i++) {
        bml_mcmc__put(&at, &s->chain[i].k, bml_mcmc__kept_words);
        bml_mcmc__put(&at, s->chain[i].saved, bml_mcmc__nuts_saved(s));
    }
    bml_mcmc__put(&at, s->draws, n * s->C * s->d);
    bml_mcmc__put(&at, s->draws_log_prob, n * s->C);
    bml_mcmc__put(&at, s->draws_energy, n * s->C);
    bml_mcmc__seal(buffer, words, BML_MCMC__KIND_NUTS);
    return BML_MCMC_OK;
}

/* Could chain number i of a run have left these, with n draws kept at most? */
static int bml_mcmc__kept_sane(const bml_mcmc__nuts_kept *k, const double *saved, const bml_mcmc_nuts *s, ptrdiff_t n) {
    uint64_t warmup = (uint64_t)s->config.warmup;
    uint64_t kept = k->draws > warmup ? k->draws - warmup : 0;
    int counts = k->kept == kept && k->kept <= (uint64_t)n && k->need_step <= 1 && k->window <= warmup;
    counts = counts && k->adapted <= warmup && (!kept || !k->need_step);
    int step = k->step > 0 && k->step <= DBL_MAX && bml_mcmc__is_finite(k->mu);
    step = step && bml_mcmc__is_finite(k->mean_error) && bml_mcmc__is_finite(k->log_mean_step);
    if (!counts || !step || !bml_mcmc__all_finite(saved, bml_mcmc__nuts_saved(s))) {
        return 0;
    }
    const double *L = saved + 3 * s->d;
    for (ptrdiff_t i = 0; i < s->d; i++)
        if (!(L[s->dense ? i * s->d + i : i] > 0)) {
            return 0;
        }
    return 1;
}

/* The chains of a state must be possible, and their positions have their log-probabilities here too. */
static int bml_mcmc__nuts_check_saved(bml_mcmc_nuts *s, const unsigned char *at, ptrdiff_t n) {
    ptrdiff_t saved = bml_mcmc__nuts_saved(s);
    uint64_t most = 0;
    double *p = bml_mcmc__doubles(saved + s->C, 1);
    if (!p) {
        return bml_mcmc__fail(s->message, BML_MCMC_NO_MEMORY, "out of memory");
    }
    double *log_prob = p + saved;
    int status = BML_MCMC_OK;
    at += 8 * 2;
    for (ptrdiff_t i = 0; i < s->C && !status; i++) {
        bml_mcmc__nuts_kept k;
        bml_mcmc__get(&k, &at, bml_mcmc__kept_words);
        bml_mcmc__get(p, &at, saved);
        if (!bml_mcmc__kept_sane(&k, p, s, n)) {
            status = bml_mcmc__fail(s->message, BML_MCMC_BAD_STATE, "the numbers of chain %d are impossible", (int)i);
        }
        bml_mcmc__copy(s->chain[i].now.y, p, s->d);
        log_prob[i] = k.log_prob;
        most = k.kept > most ? k.kept : most;
        s->who[i] = (int)i;
    }
    if (!status && most != (uint64_t)n) {
        status = bml_mcmc__fail(s->message, BML_MCMC_BAD_STATE, "its draws are not as many as its chains kept");
    }
    uint64_t gradients = s->gradients;
    uint64_t nans = s->nans;
    if (!status) {
        status = bml_mcmc__nuts_call(s, s->C);
    }
    s->gradients = gradients;
    s->nans = nans;
    for (ptrdiff_t i = 0; i < s->C && !status; i++)
        if (!bml_mcmc__same_value(log_prob[i], s->answer[i])) {
            status = bml_mcmc__fail(s->message, BML_MCMC_BAD_STATE,
                                    "chain %d: log-probability %.10g saved, %.10g now: another problem", (int)i,
                                    log_prob[i], s->answer[i]);
        }
    BML_MCMC_FREE(p);
    return status;
}

BML_MCMC_DEF int bml_mcmc_nuts_load(bml_mcmc_nuts *s, const void *buffer, size_t size) {
    static const char *const names[10] = {"n_dim",     "n_chains",      "seed",       "metric", "warmup",
                                          "max_depth", "target_accept", "the limits", "step",   "covariance"};
    uint64_t fixed[BML_MCMC__FIXED];
    const unsigned char *at;
    ptrdiff_t n = 0;
    if (!s) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    ptrdiff_t least = bml_mcmc__nuts_words(s, 0);
    bml_mcmc__expected want = {BML_MCMC__KIND_NUTS, fixed, names, 10, least, bml_mcmc__nuts_words(s, 1) - least};
    bml_mcmc__nuts_fingerprint(fixed, s);
    int status = bml_mcmc__check_head(s->message, buffer, size, &want, &at, &n);
    if (!status) {
        status = bml_mcmc__nuts_check_saved(s, at, n);
    }
    if (!status) {
        status = bml_mcmc__nuts_reserve(s, n);
    }
    if (status) return status;
    bml_mcmc__get(&s->gradients, &at, 1);
    bml_mcmc__get(&s->nans, &at, 1);
    for (ptrdiff_t i = 0; i < s->C; i++) {
        bml_mcmc__nuts_chain *c = s->chain + i;
        bml_mcmc__get(&c->k, &at, bml_mcmc__kept_words);
        bml_mcmc__get(c->saved, &at, bml_mcmc__nuts_saved(s));
        if (s->dense) {
            bml_mcmc__invert_lower(c->L_inverse, c->L, s->d);
        }
    }
    bml_mcmc__get(s->draws, &at, n * s->C * s->d);
    bml_mcmc__get(s->draws_log_prob, &at, n * s->C);
    bml_mcmc__get(s->draws_energy, &at, n * s->C);
    s->started = 1;
    s->message[0] = 0;
    return BML_MCMC_OK;
}
#endif /* BML_MCMC_NO_NUTS */

/* >> calibration */

/* The lower incomplete gamma function over x^a e^-x, as a series (Abramowitz & Stegun 6.5.29); right below x = a + 1.
   */
static double bml_mcmc__gamma_series(double a, double x) {
    double sum = 1 / a;
    double term = sum;
    for (int i = 1; i < 10000 && term > 1e-16 * sum; i++) {
        term *= x / (a + i);
        sum += term;
    }
    return sum;
}

/* The upper one over the same, as a continued fraction (Abramowitz & Stegun 6.5.31, by Lentz's method). */
static double bml_mcmc__gamma_fraction(double a, double x) {
    double b = x + 1 - a;
    double c = 1 / DBL_MIN;
    double d = 1 / b;
    double h = d;
    for (int i = 1; i < 10000; i++) {
        double an = -i * (i - a);
        b += 2;
        d = an * d + b;
        c = b + an / c;
        d = 1 / (fabs(d) < DBL_MIN ? DBL_MIN : d);
        c = fabs(c) < DBL_MIN ? DBL_MIN : c;
        double factor = c * d;
        h *= factor;
        if (fabs(factor - 1) < 1e-15) {
            break;
        }
    }
    return h;
}

/* Upper regularised incomplete gamma function Q(a, x). */
static double bml_mcmc__gamma_q(double a, double x) {
    double front = exp(a * log(x) - x - bml_mcmc__log_gamma(a));
    if (x < a + 1) {
        return 1 - front * bml_mcmc__gamma_series(a, x);
    }
    return front * bml_mcmc__gamma_fraction(a, x);
}

BML_MCMC_DEF int bml_mcmc_sbc_ranks(int *ranks, bml_mcmc_chain chain, const double *truth, int n_draws) {
    int status = ranks && truth ? bml_mcmc__check_chain(&chain) : BML_MCMC_BAD_ARGUMENT;
    if (status) return status;
    ptrdiff_t W = chain.n_walkers;
    ptrdiff_t d = chain.n_dim;
    if (n_draws < 1 || n_draws > (ptrdiff_t)chain.n_steps * W) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    for (ptrdiff_t k = 0; k < d; k++)
        ranks[k] = 0;
    for (ptrdiff_t i = 0; i < n_draws; i++) { /* evenly over steps; the walker changes from one to the next */
        double place = ((double)i + 0.5) / n_draws;
        ptrdiff_t step = (ptrdiff_t)(place * (double)chain.n_steps);
        const double *theta = chain.theta + (step * W + i % W) * d;
        for (ptrdiff_t k = 0; k < d; k++)
            ranks[k] += theta[k] < truth[k];
    }
    return BML_MCMC_OK;
}

BML_MCMC_DEF double bml_mcmc_sbc_p_value(const int *ranks, int n, int n_draws, int n_bins) {
    double chi2 = 0;
    if (!ranks || n < 1 || n_draws < 1 || n_bins < 2 || n_bins > n_draws + 1) {
        return BML_MCMC__NAN;
    }
    for (ptrdiff_t i = 0; i < n; i++)
        if (ranks[i] < 0 || ranks[i] > n_draws) {
            return BML_MCMC__NAN;
        }
    /* bin b holds ranks first..next-1; when n_bins does not divide, bins differ by one rank */
    for (ptrdiff_t b = 0; b < n_bins; b++) {
        int first = (int)((double)b * (n_draws + 1) / n_bins);
        int next = (int)((double)(b + 1) * (n_draws + 1) / n_bins);
        double expected = (double)n * (next - first) / (n_draws + 1);
        double count = 0;
        for (ptrdiff_t i = 0; i < n; i++)
            count += ranks[i] >= first && ranks[i] < next;
        chi2 += (count - expected) * (count - expected) / expected;
    }
    return bml_mcmc_chi2_survival(chi2, n_bins - 1);
}

BML_MCMC_DEF int bml_mcmc_coverage(double *fraction, double *sd, const int *ranks, int n, int n_draws, double level) {
    double inside = 0;
    if (!fraction || !sd || !ranks || n < 1 || n_draws < 1 || !(level > 0 && level < 1)) {
        return BML_MCMC_BAD_ARGUMENT;
    }
    double width = 1.0 / (n_draws + 1);
    double bottom = 0.5 - 0.5 * level;
    double top = 0.5 + 0.5 * level;
    /* rank r stands for the interval (r, r+1)/(n_draws + 1) of the posterior; edges count in part */
    for (ptrdiff_t i = 0; i < n; i++) {
        if (ranks[i] < 0 || ranks[i] > n_draws) {
            return BML_MCMC_BAD_ARGUMENT;
        }
        double lo = ranks[i] * width > bottom ? ranks[i] * width : bottom;
        double hi = (ranks[i] + 1) * width < top ? (ranks[i] + 1) * width : top;
        if (hi > lo) {
            inside += (hi - lo) / width;
        }
    }
    *fraction = inside / n;
    *sd = sqrt(level * (1 - level) / n);
    return BML_MCMC_OK;
}

BML_MCMC_DEF double bml_mcmc_chi2_survival(double x, double k) {
    if (!(k > 0 && x >= 0)) {
        return BML_MCMC__NAN;
    }
    return x == 0 ? 1 : bml_mcmc__gamma_q(0.5 * k, 0.5 * x);
}

#undef BML_MCMC__NAN
#undef BML_MCMC__INF
#undef BML_MCMC__LN2
#undef BML_MCMC__SQRT_2PI
#undef BML_MCMC__RESTRICT
#undef BML_MCMC__ROLLED
#undef BML_MCMC__PRINTF
#undef BML_MCMC__LAST_STEP
#undef BML_MCMC__DEFENCE
#undef BML_MCMC__RHAT_LIMIT
#undef BML_MCMC__LEAST_ESS
#undef BML_MCMC__EBFMI_LIMIT
#undef BML_MCMC__DIVERGENT_SHARE
#undef BML_MCMC__WALL_SHARE
#undef BML_MCMC__DEEP_SHARE
#undef BML_MCMC__EDGE_WIDTH
#undef BML_MCMC__EDGE_MASS
#undef BML_MCMC__MARGIN
#undef BML_MCMC__SLICE_MARGIN
#undef BML_MCMC__CHECK_PARETO
#undef BML_MCMC__MEMORY
#undef BML_MCMC__CHECK_MEMORY
#undef BML_MCMC__IMP_WIDER
#undef BML_MCMC__IMP_KNEE
#undef BML_MCMC__IMP_LOWEST
#undef BML_MCMC__IMP_LEAST_KEPT
#undef BML_MCMC__IMP_GOOD
#undef BML_MCMC__IMP_WARM
#undef BML_MCMC__IMP_FLOOR
#undef BML_MCMC__IMP_ENOUGH
#undef BML_MCMC__IMP_FEW
#undef BML_MCMC__IMP_POOR
#undef BML_MCMC__IMP_HEAVY
#undef BML_MCMC__IMP_TAIL
#undef BML_MCMC__IMP_THICK
#undef BML_MCMC__IMP_TAILED
#undef BML_MCMC__IMP_GAP
#undef BML_MCMC__IMP_DRAWS
#undef BML_MCMC__CHECK_SIGMA
#undef BML_MCMC__CHECK_LEAST
#undef BML_MCMC__CHECK_MOST
#undef BML_MCMC__CHECK_ESS
#undef BML_MCMC__CHECK_FEW
#undef BML_MCMC__DOF
#undef BML_MCMC__FIRST_ROUND
#undef BML_MCMC__LARGEST_BATCH
#undef BML_MCMC__SIMULATIONS
#undef BML_MCMC__DIVERGENT
#ifdef BML_MCMC__OWN_MALLOC
#undef BML_MCMC_MALLOC
#undef BML_MCMC_REALLOC
#undef BML_MCMC_FREE
#undef BML_MCMC__OWN_MALLOC
#endif
#endif /* BML_MCMC_IMPLEMENTATION */

/* HISTORY
   0.1.0  ensemble sampler, nested sampling, NUTS, diagnostics, priors, calibration
   0.2.0  one contract with the other headers, the verdict, run_until, derived quantities, choices for NaN, moves by a
          surrogate, importance sampling with and without a guide

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
   SOFTWARE. */
