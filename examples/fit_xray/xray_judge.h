/* xray_judge.h: is a network's posterior right? Simulated spectra are inferred, resampled and fitted, and what comes
   out is compared with the truth: coverage, ranks, R^2, fits that went wrong. Include after xray_train.h.

   All values are in u, where the prior is uniform on 0...1 (log-uniform parameters in the logarithm): R^2 and mean
   squared errors are those of parameters scaled to 0...1, as Tutone et al. (2025) have them, and R^2 of several
   parameters is the mean of theirs. No estimator has a larger R^2 than the mean of the true posterior, whose R^2 is
   1 - mean of the posterior variance / variance of the truths: where resampling is right, that number, taken from its
   widths, is the limit that the counts set.
   Public domain or MIT, see LICENSE. */
#ifndef XRAY_JUDGE_H
#define XRAY_JUDGE_H
#include "xray_train.h"

enum { XRAY_JUDGE_DRAWS = 499, XRAY_NETWORK = 0, XRAY_RESAMPLED = 1 };

/* What is learnt of one spectrum. */
typedef struct xray_verdict {
    double truth[XRAY_MAX_FREE];
    double mean[2][XRAY_MAX_FREE];   /* network, resampled */
    double sd[2][XRAY_MAX_FREE];     /* of the same */
    double one_start[XRAY_MAX_FREE]; /* fit: chi2 from the middle */
    double net_start[XRAY_MAX_FREE]; /* fit: C from the network */
    int rank[2][XRAY_MAX_FREE];
    double ess;
    double ess_net;
    double excess_one; /* C above that of the truth */
    double excess_net; /* of the same */
} xray_verdict;

typedef struct xray_judging {
    const xray_net *net;
    const xray_problem *problem; /* one spectrum */
    const bml_mcmc_prior *prior;
    const xray_set *set; /* the spectra: means, or, with `noisy`, counts */
    int noisy;
    int resample;
    int evaluations;
    uint64_t seed;
} xray_judging;

/* Posterior mean, sd and rank of the truth among draws z[n][d]. */
static inline void xray_judge_draws(xray_verdict *v, int which, const double *z, int n, int d) {
    for (int k = 0; k < d; k++) {
        double sum = 0;
        double square = 0;
        v->rank[which][k] = 0;
        for (int i = 0; i < n; i++) {
            double x = xray_normal_cdf(z[i * d + k]);
            sum += x;
            v->rank[which][k] += x < v->truth[k];
        }
        v->mean[which][k] = sum / n;
        for (int i = 0; i < n; i++)
            square += pow(xray_normal_cdf(z[i * d + k]) - sum / n, 2);
        v->sd[which][k] = sqrt(square / (n - 1));
    }
}

/* A thread's own data, with counts that it may change, and fitters on them. */
typedef struct xray_judge_room {
    xray_data data;
    xray_problem c;
    xray_problem chi2;
    xray_fitter *f_c;
    xray_fitter *f_chi2;
    bml_nn_work *work;
    double *counts;
    double *variance;
    double *z;
} xray_judge_room;

static inline void xray_judge_room_free(xray_judge_room *j) {
    xray_fitter_free(j->f_c);
    xray_fitter_free(j->f_chi2);
    bml_nn_work_free(j->work);
    free(j->counts);
    free(j->z);
}

/* -1 without memory; free it in any case. */
static inline int xray_judge_room_make(xray_judge_room *j, const xray_judging *g) {
    size_t n = (size_t)g->problem->data[0].n;
    memset(j, 0, sizeof *j);
    j->counts = xray_alloc(n, 2 * sizeof(double));
    j->z = xray_alloc(XRAY_JUDGE_DRAWS, (size_t)g->net->d * sizeof(double));
    if (!j->counts || !j->z) {
        return -1;
    }
    if (bml_nn_work_create(&j->work, g->net->nn, 1, 1, NULL)) {
        return -1;
    }
    j->variance = j->counts + n;
    j->data = g->problem->data[0];
    j->data.counts = j->counts;
    j->data.variance = j->variance;
    j->c = *g->problem;
    j->c.data = &j->data;
    j->c.kind = XRAY_C;
    j->chi2 = j->c;
    j->chi2.kind = XRAY_CHI2;
    j->f_c = xray_fitter_make(&j->c);
    j->f_chi2 = xray_fitter_make(&j->chi2);
    return j->f_c && j->f_chi2 ? 0 : -1;
}

/* Spectrum i of the set into the room: the same noise for every network. */
static inline void xray_judge_counts(xray_judge_room *j, const xray_judging *g, size_t i) {
    size_t n = (size_t)j->data.n;
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, g->seed, ((uint64_t)3 << 40) + i);
    for (size_t b = 0; b < n; b++) {
        double mean = (double)g->set->mean[i * n + b];
        j->counts[b] = g->noisy ? mean : xray_poisson(&rng, mean);
        j->variance[b] = fmax(j->counts[b], 1);
    }
}

/* Where a fit is in the prior's cube. Rounding may put a fit at the edge just outside of the prior: a little inside. */
static inline int xray_fit_in_prior(double *u, const bml_mcmc_prior *prior, const xray_fitter *f,
                                    const xray_best *best) {
    double inside[XRAY_MAX_FREE];
    double theta[XRAY_MAX_FREE];
    for (int k = 0; k < f->n_free; k++)
        inside[k] = fmin(fmax(best->u[k], 1e-9), 1 - 1e-9);
    xray_from_cube(theta, f, inside);
    return bml_mcmc_prior_inverse(prior, u, theta) ? -1 : 0;
}

/* Everything about spectrum i; 0, or -1. */
static inline int xray_judge_one(xray_verdict *v, xray_judge_room *j, const xray_judging *g, size_t i) {
    int d = g->net->d;
    double u[XRAY_MAX_FREE];
    double theta[XRAY_MAX_FREE];
    char err[ERROR_SIZE];
    xray_posterior posterior = {g->prior, &j->f_c, 1};
    const uint64_t seed = g->seed + i;
    xray_resampling how = {0};
    how.most = g->evaluations;
    how.target = xray_posterior_target;
    how.user = &posterior;
    how.seed = seed;
    xray_best fits[XRAY_FITS];
    xray_judge_counts(j, g, i);
    const float *truth = g->set->u + i * (size_t)d;
    for (int k = 0; k < d; k++) {
        v->truth[k] = (double)truth[k];
    }
    xray_mixture m;
    if (xray_net_draw(j->z, &m, g->net, j->work, j->counts, XRAY_JUDGE_DRAWS, seed, err)) {
        return -1;
    }
    xray_judge_draws(v, XRAY_NETWORK, j->z, XRAY_JUDGE_DRAWS, d);
    xray_proposal near;
    xray_net_fits(fits, &near, j->f_c, g->prior, j->z, XRAY_JUDGE_DRAWS, 100);
    if (xray_fit_in_prior(v->net_start, g->prior, j->f_c, &fits[0])) {
        return -1;
    }
    for (int k = 0; k < d; k++)
        u[k] = 0.5;
    xray_best one;
    xray_fit(&one, j->f_chi2, u, NULL);
    if (xray_fit_in_prior(v->one_start, g->prior, j->f_chi2, &one)) {
        return -1;
    }
    bml_mcmc_prior_transform(g->prior, theta, v->truth);
    double at_truth = xray_evaluate(j->f_c, theta);
    v->excess_net = fits[0].statistic - at_truth;
    v->excess_one = xray_evaluate(j->f_c, one.theta) - at_truth;
    v->ess = v->ess_net = 0;
    if (!g->resample) {
        return 0;
    }
    xray_resampled r;
    if (xray_resample(&r, &m, &near, &how, err)) {
        return -1;
    }
    v->ess = r.ess;
    v->ess_net = r.ess_net;
    xray_resampled_draw(j->z, &r, XRAY_JUDGE_DRAWS, g->seed + i);
    xray_judge_draws(v, XRAY_RESAMPLED, j->z, XRAY_JUDGE_DRAWS, d);
    xray_resampled_free(&r);
    return 0;
}

/* out[n] over threads; returns how many spectra failed, or -1 without memory. */
static inline int xray_judge(xray_verdict *out, const xray_judging *g, int n, int threads) {
    xray_judge_room *room = xray_alloc((size_t)threads, sizeof *room);
    int bad = 0;
    int no_memory = !room;
    for (int t = 0; t < threads && room; t++)
        no_memory |= xray_judge_room_make(&room[t], g) != 0;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 4) num_threads(threads) reduction(+ : bad)
#endif
    for (int i = 0; i < n; i++) {
        if (!no_memory) {
            bad += xray_judge_one(&out[i], &room[thread_number()], g, (size_t)i) != 0;
        }
    }
    for (int t = 0; t < threads && room; t++)
        xray_judge_room_free(&room[t]);
    free(room);
    return no_memory ? -1 : bad;
}

/* One parameter's numbers over n verdicts. rank[n]: room. */
typedef struct xray_score {
    double coverage[4]; /* share of truths in the central 50, 68, 90, 95 % */
    double r2;          /* of the means; NaN where the truths do not vary, as that of one spectrum */
    double promised;    /* by the widths; NaN as r2 */
    double rank_p;      /* that ranks are uniform */
} xray_score;

static const double xray_levels[4] = {0.5, 0.68, 0.9, 0.95};

static inline void xray_judge_score(xray_score *s, const xray_verdict *v, int *rank, int n, int which, int k) {
    double square = 0;
    double total = 0;
    double average = v[0].truth[k]; /* from the first, so that equal truths have no variance, not that of rounding */
    double variance = 0;
    for (int i = 0; i < n; i++)
        average += (v[i].truth[k] - v[0].truth[k]) / n;
    for (int i = 0; i < n; i++) {
        double truth = v[i].truth[k];
        double mean = v[i].mean[which][k];
        square += pow(truth - mean, 2);
        total += pow(truth - average, 2);
        variance += pow(v[i].sd[which][k], 2);
        rank[i] = v[i].rank[which][k];
    }
    int varies = total > 0;
    s->r2 = varies ? 1 - square / total : (double)NAN;
    s->promised = varies ? 1 - variance / total : (double)NAN;
    double sd;
    for (int l = 0; l < 4; l++)
        bml_mcmc_coverage(&s->coverage[l], &sd, rank, n, XRAY_JUDGE_DRAWS, xray_levels[l]);
    s->rank_p = bml_mcmc_sbc_p_value(rank, n, XRAY_JUDGE_DRAWS, 20);
}

/* Standard error of the R^2 of parameters from ... to - 1, averaged over them, by the delta method: R^2 = 1 - E/V, mean
   squared error over variance of the truths, moves with spectrum i by -(error_i^2 - E/V (truth_i - mean)^2)/(n V). NaN
   where the truths do not vary. */
static inline double xray_judge_r2_error(const xray_verdict *v, int n, int which, int from, int to) {
    double sum = 0;
    double mean[XRAY_MAX_FREE];
    double e[XRAY_MAX_FREE] = {0};
    double var[XRAY_MAX_FREE] = {0};
    memcpy(mean, v[0].truth, sizeof mean);
    for (int i = 0; i < n; i++)
        for (int k = from; k < to; k++)
            mean[k] += (v[i].truth[k] - v[0].truth[k]) / n;
    for (int i = 0; i < n; i++)
        for (int k = from; k < to; k++) {
            double error = v[i].truth[k] - v[i].mean[which][k];
            double off = v[i].truth[k] - mean[k];
            e[k] += pow(error, 2) / n;
            var[k] += pow(off, 2) / n;
        }
    for (int i = 0; i < n; i++) {
        double moves = 0;
        for (int k = from; k < to; k++) {
            double error = v[i].truth[k] - v[i].mean[which][k];
            double off = v[i].truth[k] - mean[k];
            double move = pow(error, 2) - e[k] / var[k] * pow(off, 2);
            moves += move / var[k] / (to - from);
        }
        sum += moves * moves;
    }
    return sqrt(sum) / n;
}

/* A fit is wrong when some parameter is further than 5 posterior standard deviations from the truth. */
static inline int xray_fit_is_wrong(const xray_verdict *v, const double *fit, int which, int d) {
    for (int k = 0; k < d; k++) {
        double off = fit[k] - v->truth[k];
        if (fabs(off) > 5 * v->sd[which][k]) {
            return 1;
        }
    }
    return 0;
}

/* ==== distance of two posteriors ================================================================================== */

/* Adds the shares of x[n] to equal bins from lo to hi; what lies outside falls into the first or the last. */
static inline void xray_shares(double *share, int bins, const double *x, long n, double lo, double hi) {
    for (long i = 0; i < n; i++) {
        double u = (x[i] - lo) / (hi - lo) * bins;
        int bin = (int)fmin(fmax(u, 0), bins - 1);
        share[bin] += 1.0 / (double)n;
    }
}

/* Jensen-Shannon distance [nats] of a[n] and b[m], in 40 bins over the central 99.8 % of both together; NaN without
   memory. */
static inline double xray_jensen_shannon(const double *a, long n, const double *b, long m) {
    enum { BINS = 40 };
    double *all = xray_alloc((size_t)(n + m), sizeof *all);
    double p[BINS] = {0};
    double q[BINS] = {0};
    double js = 0;
    if (!all) {
        return (double)NAN;
    }
    memcpy(all, a, (size_t)n * sizeof *a);
    memcpy(all + n, b, (size_t)m * sizeof *b);
    double lo = bml_mcmc_quantile(all, (size_t)(n + m), 0.001);
    double hi = bml_mcmc_quantile(all, (size_t)(n + m), 0.999);
    free(all);
    if (!(hi > lo)) {
        return 0;
    }
    xray_shares(p, BINS, a, n, lo, hi);
    xray_shares(q, BINS, b, m, lo, hi);
    for (int k = 0; k < BINS; k++) {
        double mid = 0.5 * (p[k] + q[k]);
        if (p[k] > 0) {
            js += 0.5 * p[k] * log(p[k] / mid);
        }
        if (q[k] > 0) {
            js += 0.5 * q[k] * log(q[k] / mid);
        }
    }
    return js;
}
#endif
