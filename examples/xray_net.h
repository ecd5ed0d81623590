/* xray_net.h: posteriors of X-ray spectra from networks trained on simulations: what fit_xray's train, infer and
   compare share. Include after xray_fit.h and bml_nn.h.

   Coordinates. A prior maps each parameter to u in (0,1), uniform; z = probit(u) is then standard normal. Networks see
   spectra, never parameters outside their prior.

   Two kinds of network:
   - dropout   (ann, cnn, gru) gives u, trained on the mean squared error with dropout, which stays on for draws: Monte
               Carlo dropout (Gal & Ghahramani 2016), as MonteXrist (Tutone et al. 2025) does it. The width of its
               posterior is that of the dropout rate, not that of the data: its coverage is to be measured, never
               assumed.
   - mixture   (mlp) gives K Gaussians in z with full covariances, trained on -ln q(z|spectrum) (Bishop 1994,
               NCRG/94/004; Papamakarios & Murray 2016, arXiv:1605.06376): with enough simulations q is the posterior.
               Input 2 sqrt(D + 3/8) (Anscombe 1948), whose noise is 1 in every bin, through its principal components;
               Poisson noise is drawn afresh for every epoch; at the end widths are set right on the validation rows.

   Importance resampling. Draws from q get weights L(z) prior(z)/q(z) with the true likelihood; then a t distribution is
   fitted to the weighted draws, drawn from, and so on; all draws count, weighted by the density of all proposals
   together (Cornuet et al. 2012, Scand. J. Stat. 39, 798). The weights correct what the network has wrong, give ln Z,
   and an effective sample size: when that of the network's own draws is below a few per cent, the spectrum lies
   outside of what the network has learnt. Right for one connected mode; separated modes that q does not have are not
   found. */
#ifndef XRAY_NET_H
#define XRAY_NET_H
#include "bml_nn.h"
#include "xray_fit.h"

/* Inverse of the normal distribution (Acklam's rational start, one step of Halley): relative error below 1e-14. */
static inline double xray_probit(double p) {
    static const double a[] = {-3.969683028665376e1, 2.209460984245205e2,  -2.759285104469687e2,
                               1.383577518672690e2,  -3.066479806614716e1, 2.506628277459239},
                        b[] = {-5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2, 6.680131188771972e1,
                               -1.328068155288572e1},
                        c[] = {-7.784894002430293e-3, -3.223964580411365e-1, -2.400758277161838,
                               -2.549732539343734,    4.374664141464968,     2.938163982698783},
                        d[] = {7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416};
    double q, r, x, e;
    p = p > 1e-300 ? (p < 1 - 1e-16 ? p : 1 - 1e-16) : 1e-300;
    if (p < 0.02425 || p > 1 - 0.02425) {
        q = sqrt(-2 * log(p < 0.5 ? p : 1 - p));
        x = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
            ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
        if (p > 0.5) x = -x;
    } else {
        q = p - 0.5;
        r = q * q;
        x = (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
            (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
    }
    e = 0.5 * erfc(-x / 1.4142135623730951) - p;
    e *= 2.5066282746310002 * exp(0.5 * x * x);
    return isfinite(e) ? x - e / (1 + 0.5 * x * e) : x;
}

static inline double xray_normal_cdf(double x) {
    return 0.5 * erfc(-x / 1.4142135623730951);
}

/* ==== mixtures ====================================================================================================
   K Gaussians over d dimensions. Component k: share exp(log_share), mean, and lower triangular L with precision L^T L.
   A network writes them as K rows of 1 + d + d (d+1)/2 numbers: logit, mean, then L row by row with the logarithm of
   its diagonal. */

enum { XRAY_MAX_K = 32 };

static inline int xray_mixture_size(int d) {
    return 1 + d + d * (d + 1) / 2;
}

typedef struct xray_mixture {
    int k, d;
    double log_share[XRAY_MAX_K], log_det[XRAY_MAX_K]; /* ln of the sum-to-one shares; ln det L */
    double mean[XRAY_MAX_K][XRAY_MAX_FREE];
    double l[XRAY_MAX_K][XRAY_MAX_FREE * XRAY_MAX_FREE];
} xray_mixture;

/* From a network's row of K xray_mixture_size(d) numbers; every standard deviation times `wider`. */
static inline void xray_mixture_from(xray_mixture *m, const bml_nn_real *row, int k, int d, double wider) {
    double top = -1e300, sum = 0;
    m->k = k;
    m->d = d;
    for (int c = 0; c < k; c++) top = fmax(top, (double)row[c * xray_mixture_size(d)]);
    for (int c = 0; c < k; c++) {
        const bml_nn_real *p = row + c * xray_mixture_size(d);
        sum += exp((double)p[0] - top);
        m->log_share[c] = (double)p[0] - top;
        m->log_det[c] = 0;
        for (int i = 0; i < d; i++) m->mean[c][i] = (double)p[1 + i];
        p += 1 + d;
        for (int i = 0; i < d; i++)
            for (int j = 0; j <= i; j++, p++) {
                double v = (double)*p;
                if (i == j) v = exp(fmin(fmax(v, -30), 30));
                m->l[c][i * d + j] = v / wider;
                if (i == j) m->log_det[c] += log(v / wider);
            }
    }
    for (int c = 0; c < k; c++) m->log_share[c] -= log(sum);
}

/* ln q(z) */
static inline double xray_mixture_log(const xray_mixture *m, const double *z) {
    double each[XRAY_MAX_K], top = -1e300, sum = 0;
    int d = m->d;
    for (int c = 0; c < m->k; c++) {
        double s = 0;
        for (int i = 0; i < d; i++) {
            double y = 0;
            for (int j = 0; j <= i; j++) y += m->l[c][i * d + j] * (z[j] - m->mean[c][j]);
            s += y * y;
        }
        each[c] = m->log_share[c] + m->log_det[c] - 0.5 * s - 0.91893853320467274 * d;
        top = fmax(top, each[c]);
    }
    for (int c = 0; c < m->k; c++) sum += exp(each[c] - top);
    return top + log(sum);
}

/* One draw; times `wider` from its mean. */
static inline void xray_mixture_draw(double *z, const xray_mixture *m, double wider, bml_mcmc_rng *rng) {
    double u = bml_mcmc_rng_uniform(rng), e[XRAY_MAX_FREE];
    int c = 0, d = m->d;
    while (c + 1 < m->k && (u -= exp(m->log_share[c])) > 0) c++;
    for (int i = 0; i < d; i++) {
        double s = bml_mcmc_rng_normal(rng) * wider;
        for (int j = 0; j < i; j++) s -= m->l[c][i * d + j] * e[j];
        e[i] = s / m->l[c][i * d + i];
        z[i] = m->mean[c][i] + e[i];
    }
}

/* The loss of the mixture network: mean over rows of -ln q(z), for bml_nn's BML_NN_CUSTOM. Targets hold z in their
   first d columns; *user is int {k, d}. */
static inline double xray_mixture_loss(const bml_nn_batch *b, void *user) {
    const int k = ((const int *)user)[0], d = ((const int *)user)[1], size = xray_mixture_size(d);
    double total = 0;
    for (int r = 0; r < b->n; r++) {
        const bml_nn_real *row = b->prediction + (size_t)r * b->n_out, *z = b->target + (size_t)r * b->n_out;
        bml_nn_real *g = b->gradient + (size_t)r * b->n_out;
        double each[XRAY_MAX_K], logit[XRAY_MAX_K], y[XRAY_MAX_K][XRAY_MAX_FREE], off[XRAY_MAX_K][XRAY_MAX_FREE],
            top = -1e300, top_logit = -1e300, sum = 0, sum_logit = 0;
        for (int c = 0; c < k; c++) {
            const bml_nn_real *p = row + c * size, *l = p + 1 + d;
            double s = 0, log_det = 0;
            for (int i = 0; i < d; i++) off[c][i] = (double)z[i] - (double)p[1 + i];
            for (int i = 0; i < d; i++) {
                double v = 0;
                for (int j = 0; j < i; j++) v += (double)*l++ * off[c][j];
                log_det += (double)*l;
                v += exp(fmin(fmax((double)*l++, -30), 30)) * off[c][i];
                y[c][i] = v;
                s += v * v;
            }
            logit[c] = (double)p[0];
            each[c] = logit[c] + log_det - 0.5 * s;
            top = fmax(top, each[c]);
            top_logit = fmax(top_logit, logit[c]);
        }
        for (int c = 0; c < k; c++) sum += exp(each[c] - top), sum_logit += exp(logit[c] - top_logit);
        total += top_logit + log(sum_logit) - top - log(sum) + 0.91893853320467274 * d;
        for (int c = 0; c < k; c++) {
            double share = exp(each[c] - top) / sum, prior = exp(logit[c] - top_logit) / sum_logit,
                   mean[XRAY_MAX_FREE] = {0};
            const bml_nn_real *l = row + c * size + 1 + d;
            bml_nn_real *to = g + c * size, *to_l = to + 1 + d;
            to[0] = (bml_nn_real)((prior - share) / b->n);
            for (int i = 0; i < d; i++) {
                for (int j = 0; j < i; j++, l++) {
                    mean[j] -= (double)*l * y[c][i];
                    *to_l++ = (bml_nn_real)(share * y[c][i] * off[c][j] / b->n);
                }
                double diagonal = exp(fmin(fmax((double)*l++, -30), 30));
                mean[i] -= diagonal * y[c][i];
                *to_l++ = (bml_nn_real)(share * (y[c][i] * diagonal * off[c][i] - 1) / b->n);
            }
            for (int i = 0; i < d; i++) to[1 + i] = (bml_nn_real)(share * mean[i] / b->n);
        }
    }
    return total / b->n;
}

/* ==== importance resampling ======================================================================================= */

/* log_target[n] of z[n][d]: ln likelihood + ln normal density of z; -INFINITY is allowed. */
typedef void (*xray_target)(double *log_target, const double *z, int n, int d, void *user);

enum { XRAY_STAGES = 4 };

typedef struct xray_resampled {
    int n, d;            /* all draws */
    double *z;           /* [n][d] */
    double *log_target;  /* [n] */
    double *weight;      /* [n] sum 1 */
    double ess, ess_net; /* of all; and, of the network's own draws, the share of them that is effective */
    double log_z, log_z_error;
} xray_resampled;

static inline void xray_resampled_free(xray_resampled *r) {
    free(r->z);
    memset(r, 0, sizeof *r);
}

/* A multivariate t with nu = 5 at mean[d], L lower triangular with scale matrix (L^T L)^-1. */
typedef struct xray_t {
    int d;
    double mean[XRAY_MAX_FREE], l[XRAY_MAX_FREE * XRAY_MAX_FREE], log_norm;
} xray_t;

static const double xray_t_nu = 5;

static inline double xray_t_log(const xray_t *t, const double *z) {
    double s = 0;
    for (int i = 0; i < t->d; i++) {
        double y = 0;
        for (int j = 0; j <= i; j++) y += t->l[i * t->d + j] * (z[j] - t->mean[j]);
        s += y * y;
    }
    return t->log_norm - 0.5 * (xray_t_nu + t->d) * log1p(s / xray_t_nu);
}

static inline void xray_t_draw(double *z, const xray_t *t, bml_mcmc_rng *rng) {
    double chi2 = 0, e[XRAY_MAX_FREE];
    int d = t->d;
    for (int i = 0; i < (int)xray_t_nu; i++) {
        double x = bml_mcmc_rng_normal(rng);
        chi2 += x * x;
    }
    for (int i = 0; i < d; i++) {
        double s = bml_mcmc_rng_normal(rng) * sqrt(xray_t_nu / chi2);
        for (int j = 0; j < i; j++) s -= t->l[i * d + j] * e[j];
        e[i] = s / t->l[i * d + i];
        z[i] = t->mean[i] + e[i];
    }
}

/* The t with that mean[d] and covariance, given in cov[d][d], whose lower half is used up; 0 where it is degenerate. */
static inline int xray_t_make(xray_t *t, const double *mean, double *cov, int d) {
    double x[XRAY_MAX_FREE];
    memset(t, 0, sizeof *t);
    t->d = d;
    memcpy(t->mean, mean, (size_t)d * sizeof *mean);
    if (!xray_cholesky(cov, d)) return 0;
    for (int k = 0; k < d; k++) { /* the lower factor of cov is C; L = C^-1 is lower triangular too */
        for (int i = 0; i < d; i++) {
            double sum = i == k;
            for (int j = 0; j < i; j++) sum -= cov[i * d + j] * x[j];
            x[i] = sum / cov[i * d + i];
            t->l[i * d + k] = x[i];
        }
        t->log_norm -= log(cov[k * d + k]);
    }
    t->log_norm +=
        lgamma(0.5 * (xray_t_nu + d)) - lgamma(0.5 * xray_t_nu) - 0.5 * d * log(xray_t_nu * 3.141592653589793);
    return 1;
}

/* The t with the weighted mean and covariance of z[n][d]. */
static inline int xray_t_fit(xray_t *t, const double *z, const double *weight, int n, int d) {
    double cov[XRAY_MAX_FREE * XRAY_MAX_FREE] = {0}, mean[XRAY_MAX_FREE] = {0};
    for (int i = 0; i < n; i++)
        for (int k = 0; k < d; k++) mean[k] += weight[i] * z[(size_t)i * (size_t)d + (size_t)k];
    for (int i = 0; i < n; i++)
        for (int k = 0; k < d; k++)
            for (int l = 0; l <= k; l++)
                cov[k * d + l] += weight[i] * (z[(size_t)i * (size_t)d + (size_t)k] - mean[k]) *
                                  (z[(size_t)i * (size_t)d + (size_t)l] - mean[l]);
    for (int k = 0; k < d; k++) cov[k * d + k] *= 1 + 1e-6;
    return xray_t_make(t, mean, cov, d);
}

/* weight[n] = exp(power (log_ratio - top)), normalised; returns the effective sample size. */
static inline double xray_weights(double *weight, const double *log_ratio, int n, double power) {
    double top = -1e300, sum = 0, square = 0;
    for (int i = 0; i < n; i++) top = fmax(top, log_ratio[i]);
    for (int i = 0; i < n; i++) sum += weight[i] = exp(power * (log_ratio[i] - top));
    for (int i = 0; i < n; i++) weight[i] /= sum, square += weight[i] * weight[i];
    return square > 0 ? 1 / square : 0;
}

/* The mixture with every standard deviation twice as large. */
static inline void xray_mixture_widen(xray_mixture *wide, const xray_mixture *m) {
    *wide = *m;
    for (int c = 0; c < m->k; c++) {
        for (int i = 0; i < m->d * m->d; i++) wide->l[c][i] *= 0.5;
        wide->log_det[c] -= m->d * 0.6931471805599453;
    }
}

/* Density at z of a stage's draws: of t, or of the first stage (NULL), which draws a fifth from the wide mixture. */
static inline double xray_proposal(const double *z, const xray_t *t, const xray_mixture *m, const xray_mixture *wide) {
    return t ? exp(xray_t_log(t, z)) : 0.8 * exp(xray_mixture_log(m, z)) + 0.2 * exp(xray_mixture_log(wide, z));
}

/* Draws n_first from the mixture (a fifth of them twice as wide, so that its tails are never too light), then 3 stages
   of n_stage from t distributions fitted to all before; the first of those is `near` unless that is NULL: a t around
   the best fit, found from the network's answer, helps where the network is far wider than the posterior. Free it.
   Returns 0, or -1 with err. */
static inline int xray_resample(xray_resampled *r, const xray_mixture *m, const xray_t *near, int n_first, int n_stage,
                                xray_target target, void *user, uint64_t seed, char *err) {
    int d = m->d, n = n_first + (XRAY_STAGES - 1) * n_stage, done = 0, stages = 0, count[XRAY_STAGES] = {0};
    double *density, *ratio; /* [n] sum over proposals of count q; log weights */
    xray_t t[XRAY_STAGES];
    xray_mixture wide;
    bml_mcmc_rng rng;
    xray_mixture_widen(&wide, m);
    memset(r, 0, sizeof *r);
    r->z = xray_alloc((size_t)n, ((size_t)d + 4) * sizeof *r->z);
    if (!r->z) return error_set(err, "out of memory");
    r->d = d;
    r->log_target = r->z + (size_t)n * (size_t)d;
    r->weight = r->log_target + n;
    density = r->weight + n;
    ratio = density + n;
    bml_mcmc_rng_init(&rng, seed, 11);
    for (int stage = 0; stage < XRAY_STAGES; stage++) {
        int more = stage ? n_stage : n_first, best = 0;
        if (stage == 1 && near) {
            t[stage] = *near;
        } else if (stage > 0) { /* flatten the weights until enough draws count */
            double power = 1;
            while (xray_weights(r->weight, ratio, done, power) < fmin(25.0 * d, 0.3 * done) && power > 1e-3)
                power *= 0.8;
            if (!xray_t_fit(&t[stage], r->z, r->weight, done, d)) break;
        }
        for (int i = done; i < done + more; i++) {
            double *z = r->z + (size_t)i * (size_t)d;
            if (stage) xray_t_draw(z, &t[stage], &rng);
            else xray_mixture_draw(z, m, i % 5 == 4 ? 2 : 1, &rng);
        }
        target(r->log_target + done, r->z + (size_t)done * (size_t)d, more, d, user);
        count[stage] = more;
        stages = stage + 1;
        for (int i = 0; i < done + more; i++) { /* every draw by every proposal so far */
            const double *z = r->z + (size_t)i * (size_t)d;
            int from = i < done ? stage : 0;
            if (i >= done) density[i] = 0;
            for (int s = from; s < stages; s++) density[i] += count[s] * xray_proposal(z, s ? &t[s] : NULL, m, &wide);
            ratio[i] = density[i] > 0 ? r->log_target[i] - log(density[i]) : -1e300;
            if (ratio[i] > ratio[best]) best = i;
        }
        done += more;
        if (stage == 0) r->ess_net = xray_weights(r->weight, ratio, done, 1) / done;
    }
    r->n = done;
    r->ess = xray_weights(r->weight, ratio, done, 1);
    {
        double top = -1e300, sum = 0;
        for (int i = 0; i < done; i++) top = fmax(top, ratio[i]);
        for (int i = 0; i < done; i++) sum += exp(ratio[i] - top);
        r->log_z = top + log(sum); /* sum of target/(n q) */
        r->log_z_error = sqrt(fmax(1 / r->ess - 1.0 / done, 0));
    }
    if (!(r->ess >= 1)) {
        xray_resampled_free(r);
        return error_set(err, "importance resampling: the likelihood is zero at all draws");
    }
    return 0;
}

/* out[n][d]: equally weighted z by systematic resampling, in random order. */
static inline void xray_resampled_draw(double *out, const xray_resampled *r, int n, uint64_t seed) {
    bml_mcmc_rng rng;
    double at, sum = 0;
    int from = 0, d = r->d;
    bml_mcmc_rng_init(&rng, seed, 12);
    at = bml_mcmc_rng_uniform(&rng) / n;
    for (int i = 0; i < n; i++, at += 1.0 / n) {
        while (from < r->n - 1 && sum + r->weight[from] < at) sum += r->weight[from++];
        memcpy(out + (size_t)i * (size_t)d, r->z + (size_t)from * (size_t)d, (size_t)d * sizeof *out);
    }
    for (int i = n - 1; i > 0; i--) {
        int k = (int)(bml_mcmc_rng_uniform(&rng) * (i + 1));
        for (int j = 0; j < d; j++) {
            double swap = out[(size_t)i * (size_t)d + (size_t)j];
            out[(size_t)i * (size_t)d + (size_t)j] = out[(size_t)k * (size_t)d + (size_t)j];
            out[(size_t)k * (size_t)d + (size_t)j] = swap;
        }
    }
}

/* ==== simulations ================================================================================================= */

/* Spectra of one data set's bins, drawn from the prior. */
typedef struct xray_set {
    size_t n;
    int n_bin, d;
    float *mean; /* [n][n_bin] model counts, without noise */
    float *u;    /* [n][d] parameters in the cube */
} xray_set;

static inline void xray_set_free(xray_set *s) {
    free(s->mean);
    free(s->u);
    memset(s, 0, sizeof *s);
}

/* n models; rows first ... first + n - 1 of the seed's sequence. fitter[threads]. */
static inline int xray_set_make(xray_set *s, size_t n, size_t first, xray_fitter **fitter, int threads,
                                const bml_mcmc_prior *prior, uint64_t seed, char *err) {
    int bad = 0;
    memset(s, 0, sizeof *s);
    s->n = n;
    s->n_bin = fitter[0]->n_bin;
    s->d = fitter[0]->n_free;
    s->mean = xray_alloc(n, (size_t)s->n_bin * sizeof *s->mean);
    s->u = xray_alloc(n, (size_t)s->d * sizeof *s->u);
    if (!s->mean || !s->u) {
        xray_set_free(s);
        return error_set(err, "out of memory for %zu spectra", n);
    }
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(threads) reduction(+ : bad)
#endif
    for (long i = 0; i < (long)n; i++) {
#ifdef _OPENMP
        xray_fitter *f = fitter[omp_get_thread_num()];
#else
        xray_fitter *f = fitter[0];
#endif
        double u[XRAY_MAX_FREE], theta[XRAY_MAX_FREE];
        bml_mcmc_rng rng;
        bml_mcmc_rng_init(&rng, seed, ((uint64_t)1 << 40) + first + (uint64_t)i);
        for (int k = 0; k < s->d; k++) {
            s->u[(size_t)i * (size_t)s->d + (size_t)k] = (float)(u[k] = bml_mcmc_rng_uniform(&rng));
        }
        bad += bml_mcmc_prior_transform(prior, theta, u) != 0;
        xray_counts(f->moved, f, theta);
        for (int b = 0; b < s->n_bin; b++) {
            bad += !(f->moved[b] >= 0 && f->moved[b] < 1e15);
            s->mean[(size_t)i * (size_t)s->n_bin + (size_t)b] = (float)f->moved[b];
        }
    }
    (void)threads;
    if (bad) xray_set_free(s);
    return bad ? error_set(err, "the model is not finite everywhere in its prior") : 0;
}

/* x[n][n_bin] of rows from ... from + n - 1: Poisson counts, as they are (dropout nets) or 2 sqrt(D + 3/8). */
static inline void xray_set_noise(float *x, const xray_set *s, size_t from, size_t n, int root, uint64_t seed,
                                  uint64_t epoch, int threads) {
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(threads)
#endif
    for (long i = 0; i < (long)n; i++) {
        bml_mcmc_rng rng;
        const float *mean = s->mean + (from + (size_t)i) * (size_t)s->n_bin;
        float *to = x + (size_t)i * (size_t)s->n_bin;
        bml_mcmc_rng_init(&rng, seed + 0x9E3779B97F4A7C15u * (epoch + 1), ((uint64_t)2 << 40) + from + (uint64_t)i);
        for (int b = 0; b < s->n_bin; b++) {
            double counts = xray_poisson(&rng, (double)mean[b]);
            to[b] = (float)(root ? 2 * sqrt(counts + 0.375) : counts);
        }
    }
    (void)threads;
}

/* ==== a trained network =========================================================================================== */

typedef struct xray_net {
    bml_nn *nn;
    int mixture, k, d, n_bin;          /* 1: mixture of k components; 0: dropout */
    double exposure;                   /* s */
    int *bin, n_channel;               /* [n_channel] the bins that it was trained for */
    const char *model, *prior, *fixed; /* texts in the file: expression, prior lines, NAME=VALUE lines */
    int statistic, abundance;          /* XRAY_C ...; XRAY_WILM, XRAY_ANGR, or -1: a table of the user's own */
} xray_net;

static inline void xray_net_free(xray_net *n) {
    bml_nn_free(n->nn);
    free(n->bin);
    memset(n, 0, sizeof *n);
}

enum { XRAY_ANN, XRAY_CNN, XRAY_GRU, XRAY_MLP, XRAY_WHITE = 32 };

/* A network for n_bin bins and d parameters: units in each hidden layer, dropout rate, k components (MLP). Free it. */
static inline int xray_net_make(xray_net *net, int kind, int n_bin, int d, int units, int depth, double rate, int k,
                                uint64_t seed, char *err) {
    bml_nn_layer layer[2 * 16 + 4];
    bml_nn_config config = {.layers = layer, .seed = seed};
    int n = 0;
    memset(net, 0, sizeof *net);
    memset(layer, 0, sizeof layer);
    net->mixture = kind == XRAY_MLP;
    net->k = net->mixture ? k : 0;
    net->d = d;
    net->n_bin = n_bin;
    layer[n].kind = BML_NN_INPUT;
    layer[n].features = kind == XRAY_CNN || kind == XRAY_GRU ? 1 : n_bin;
    layer[n++].steps = kind == XRAY_CNN || kind == XRAY_GRU ? n_bin : 0;
    if (net->mixture) {
        layer[n].kind = BML_NN_DENSE; /* see xray_net_whiten */
        layer[n].name = "whiten";
        layer[n++].units = n_bin < XRAY_WHITE ? n_bin : XRAY_WHITE;
    }
    for (int i = 0; i < depth && i < 16; i++) {
        bml_nn_layer *l = &layer[n++];
        l->units = units;
        if (kind == XRAY_GRU) {
            l->kind = BML_NN_GRU;
            l->sequence = i + 1 < depth;
        } else if (kind == XRAY_CNN) {
            l->kind = BML_NN_CONV;
            l->kernel = 5;
            l->stride = 2;
            l->same = 1;
            l->activation = BML_NN_RELU;
        } else {
            l->kind = BML_NN_DENSE;
            l->activation = kind == XRAY_MLP ? BML_NN_SILU : BML_NN_RELU;
        }
        if (rate > 0) {
            layer[n].kind = BML_NN_DROPOUT;
            layer[n++].rate = rate;
        }
    }
    if (kind == XRAY_CNN) layer[n++].kind = BML_NN_FLATTEN;
    layer[n].kind = BML_NN_DENSE;
    layer[n].name = net->mixture ? "mixture" : NULL;
    layer[n++].units = net->mixture ? k * xray_mixture_size(d) : d;
    config.n_layers = n;
    if (!bml_nn_create(&net->nn, &config)) return 0;
    error_set(err, "network: %.400s", bml_nn_message(net->nn));
    xray_net_free(net);
    return -1;
}

/* Eigenvalues and vectors of the symmetric a[n][n] by Jacobi's rotations: values[n] on a's diagonal, vectors v[n][n] in
   columns. Changes a. */
static inline void xray_jacobi(double *a, double *v, int n) {
    for (int i = 0; i < n * n; i++) v[i] = i % (n + 1) == 0;
    for (int sweep = 0; sweep < 30; sweep++) {
        double off = 0, all = 0;
        for (int i = 0; i < n * n; i++) *(i % (n + 1) ? &off : &all) += a[i] * a[i];
        if (off <= 1e-20 * all) return;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) {
                double theta, t, c, s;
                if (fabs(a[p * n + q]) <= 1e-300) continue;
                theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
                t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
                c = 1 / sqrt(t * t + 1);
                s = t * c;
                for (int k = 0; k < n; k++) {
                    double x = a[p * n + k], y = a[q * n + k];
                    a[p * n + k] = c * x - s * y;
                    a[q * n + k] = s * x + c * y;
                }
                for (int k = 0; k < n; k++) {
                    double x = a[k * n + p], y = a[k * n + q], f = v[k * n + p], g = v[k * n + q];
                    a[k * n + p] = c * x - s * y;
                    a[k * n + q] = s * x + c * y;
                    v[k * n + p] = c * f - s * g;
                    v[k * n + q] = s * f + c * g;
                }
            }
    }
}

/* Starts the first layer of a mixture network as the principal components of its inputs x[n][n_bin], each of variance
   1, and fits the scaler. Noise is 1 in every bin, so that small components that a parameter moves by much more than
   the noise are as loud as the great ones: without this, training takes long to hear them. At most 1,000 bins; more
   are left alone. */
static inline int xray_net_whiten(xray_net *net, const bml_nn_real *x, size_t n, char *err) {
    int b = net->n_bin, units = b < XRAY_WHITE ? b : XRAY_WHITE, *order = xray_alloc((size_t)b, sizeof *order);
    double *mean = xray_alloc((size_t)b, 3 * sizeof *mean), *cov = xray_alloc((size_t)b * (size_t)b, 2 * sizeof *cov);
    bml_nn_real *scale = xray_alloc((size_t)b, 2 * sizeof *scale), *kernel;
    size_t count = 0, rows = n < 4000 ? n : 4000;
    int bad = !mean || !cov || !scale || !order;
    if (!bad) bad = bml_nn_fit_scaler(net->nn, BML_NN_INPUTS, BML_NN_STANDARD, x, n) != 0;
    kernel = bad ? NULL : bml_nn_tensor(net->nn, "whiten.kernel", &count);
    if (kernel && count == (size_t)b * (size_t)units && b <= 1000) {
        double *v = cov + (size_t)b * (size_t)b;
        for (size_t i = 0; i < rows; i++)
            for (int k = 0; k < b; k++) mean[k] += (double)x[i * (size_t)b + (size_t)k] / (double)rows;
        for (size_t i = 0; i < rows; i++) {
            for (int k = 0; k < b; k++) mean[b + k] = (double)x[i * (size_t)b + (size_t)k] - mean[k];
            for (int k = 0; k < b; k++)
                for (int l = 0; l < b; l++) cov[k * b + l] += mean[b + k] * mean[b + l] / (double)rows;
        }
        for (int k = 0; k < b; k++) { /* the layers see (x - shift)/scale with scale 1: the components do the rest */
            scale[k] = (bml_nn_real)mean[k];
            scale[b + k] = 1;
            order[k] = k;
        }
        xray_jacobi(cov, v, b);
        for (int i = 0; i < units; i++) /* the largest first */
            for (int k = i + 1; k < b; k++)
                if (cov[order[k] * b + order[k]] > cov[order[i] * b + order[i]]) {
                    int swap = order[i];
                    order[i] = order[k], order[k] = swap;
                }
        for (int u = 0; u < units; u++) {
            double sd = sqrt(fmax(cov[order[u] * b + order[u]], 1e-6));
            for (int k = 0; k < b; k++) kernel[k * units + u] = (bml_nn_real)(v[k * b + order[u]] / sd);
        }
        bad = bml_nn_set_scaler(net->nn, BML_NN_INPUTS, scale, scale + b) != 0;
    }
    free(mean);
    free(cov);
    free(scale);
    free(order);
    return bad ? error_set(err, "network: %.300s", bml_nn_message(net->nn)) : 0;
}

/* Makes the widths of a mixture network right on rows that it was not trained on: x[n][n_bin], u[n][d]. The standard
   deviation of parameter k is multiplied by the 68.3 % quantile of |z - mean|/sd; that is written into the last layer.
   */
static inline int xray_net_calibrate(xray_net *net, const bml_nn_real *x, const float *u, size_t n, char *err) {
    enum { DRAWS = 200 };
    size_t n_out = bml_nn_n_out(net->nn), count = 0, d = (size_t)net->d, units = 0;
    bml_nn_real *out = xray_alloc(n, n_out * sizeof *out), *kernel = bml_nn_tensor(net->nn, "mixture.kernel", &count),
                *bias = bml_nn_tensor(net->nn, "mixture.bias", &units);
    double *off = xray_alloc(n, d * sizeof *off), wider[XRAY_MAX_FREE];
    bml_mcmc_rng rng;
    int bad = !out || !off || !kernel || !bias || units != n_out || bml_nn_predict(net->nn, NULL, out, x, n);
    bml_mcmc_rng_init(&rng, 1, 15);
    for (size_t i = 0; i < n && !bad; i++) {
        xray_mixture m = {.d = 0};
        double sum[XRAY_MAX_FREE] = {0}, square[XRAY_MAX_FREE] = {0}, z[XRAY_MAX_FREE] = {0};
        xray_mixture_from(&m, out + i * n_out, net->k, net->d, 1);
        for (int j = 0; j < DRAWS; j++) {
            xray_mixture_draw(z, &m, 1, &rng);
            for (size_t k = 0; k < d; k++) sum[k] += z[k] / DRAWS, square[k] += z[k] * z[k] / DRAWS;
        }
        for (size_t k = 0; k < d; k++)
            off[k * n + i] =
                fabs(xray_probit((double)u[i * d + k]) - sum[k]) / sqrt(fmax(square[k] - sum[k] * sum[k], 1e-12));
    }
    for (size_t k = 0; k < d && !bad; k++) wider[k] = fmax(bml_mcmc_quantile(off + k * n, n, 0.683), 1e-3);
    for (int c = 0; c < net->k && !bad; c++) {
        size_t at = (size_t)(c * xray_mixture_size(net->d)) + 1 + d;
        for (size_t i = 0; i < d; i++)
            for (size_t j = 0; j <= i; j++, at++) {
                if (i == j) bias[at] -= (bml_nn_real)log(wider[j]);
                if (i == j) continue;
                bias[at] /= (bml_nn_real)wider[j];
                for (size_t row = 0; row < count / units; row++) kernel[row * units + at] /= (bml_nn_real)wider[j];
            }
    }
    free(out);
    free(off);
    return bad ? error_set(err, "network: it could not be calibrated") : 0;
}

/* Puts into the file what a spectrum must be like, and what the numbers mean. */
static inline int xray_net_describe(xray_net *net, const xray_data *data, const char *model, const char *prior,
                                    const char *fixed, int statistic, int abundance, char *err) {
    char text[64];
    int bad = 0;
    bml_nn_real *bin = xray_alloc((size_t)data->n_channel, sizeof *bin), how[3];
    if (!bin) return error_set(err, "out of memory");
    for (int c = 0; c < data->n_channel; c++) bin[c] = (bml_nn_real)data->bin[c];
    how[0] = (bml_nn_real)data->exposure;
    how[1] = (bml_nn_real)statistic;
    how[2] = (bml_nn_real)abundance;
    snprintf(text, sizeof text, "%s %d %d", net->mixture ? "mixture" : "dropout", net->k, net->d);
    bad = bml_nn_set_text(net->nn, "xray_kind", text) || bml_nn_set_text(net->nn, "xray_model", model) ||
          bml_nn_set_text(net->nn, "xray_prior", prior) || bml_nn_set_text(net->nn, "xray_fixed", fixed) ||
          bml_nn_set_array(net->nn, "xray_bin", bin, (size_t)data->n_channel) ||
          bml_nn_set_array(net->nn, "xray_how", how, 3);
    free(bin);
    return bad ? error_set(err, "out of memory") : 0;
}

/* Reads a network and all that it says about itself. Free it. */
static inline int xray_net_read(xray_net *net, const char *path, char *err) {
    const char *kind;
    const bml_nn_real *bin, *how;
    size_t n = 0, three = 0;
    char word[16] = "";
    int status, sound;
    memset(net, 0, sizeof *net);
    status = bml_nn_load(&net->nn, path);
    if (status) {
        error_set(err, "%.300s: %s: %.150s", path, bml_nn_strerror(status), net->nn ? bml_nn_message(net->nn) : "");
        xray_net_free(net);
        return -1;
    }
    kind = bml_nn_get_text(net->nn, "xray_kind");
    net->model = bml_nn_get_text(net->nn, "xray_model");
    net->prior = bml_nn_get_text(net->nn, "xray_prior");
    net->fixed = bml_nn_get_text(net->nn, "xray_fixed");
    bin = bml_nn_get_array(net->nn, "xray_bin", &n);
    how = bml_nn_get_array(net->nn, "xray_how", &three);
    sound = kind && net->model && net->prior && net->fixed && bin && how && three == 3 && n <= XRAY_MAX_CHANNELS &&
            sscanf(kind, "%15s %d %d", word, &net->k, &net->d) == 3 && net->d > 0 && net->d <= XRAY_MAX_FREE &&
            net->k >= 0 && net->k <= XRAY_MAX_K;
    net->mixture = !strcmp(word, "mixture");
    net->n_bin = (int)bml_nn_n_in(net->nn);
    if (sound) sound = bml_nn_n_out(net->nn) == (size_t)(net->mixture ? net->k * xray_mixture_size(net->d) : net->d);
    net->bin = sound ? xray_alloc(n, sizeof *net->bin) : NULL;
    for (size_t c = 0; net->bin && c < n; c++) {
        sound = sound && (double)bin[c] >= -1 && (double)bin[c] < net->n_bin;
        net->bin[c] = sound ? (int)bin[c] : -1;
    }
    if (!sound || !net->bin) {
        xray_net_free(net);
        return error_set(err, "%.300s: not a network of fit_xray train", path);
    }
    net->n_channel = (int)n;
    net->exposure = (double)how[0];
    net->statistic = (int)how[1];
    net->abundance = (int)how[2];
    return 0;
}

/* The network's input for counts[n_bin]. */
static inline void xray_net_input(bml_nn_real *x, const xray_net *net, const double *counts) {
    for (int b = 0; b < net->n_bin; b++) x[b] = (bml_nn_real)(net->mixture ? 2 * sqrt(counts[b] + 0.375) : counts[b]);
}

/* One Gaussian, `wider` times as wide, around draws z[n][d]: what resampling starts from for a dropout network. */
static inline int xray_mixture_around(xray_mixture *m, const double *z, int n, int d, double wider, char *err) {
    double *weight = xray_alloc((size_t)n, sizeof *weight);
    xray_t t;
    int good;
    if (!weight) return error_set(err, "out of memory");
    for (int i = 0; i < n; i++) weight[i] = 1.0 / n;
    good = xray_t_fit(&t, z, weight, n, d);
    free(weight);
    if (!good) return error_set(err, "the network's draws are all the same");
    memset(m, 0, sizeof *m);
    m->k = 1;
    m->d = d;
    for (int i = 0; i < d; i++) {
        m->mean[0][i] = t.mean[i];
        for (int j = 0; j <= i; j++) m->l[0][i * d + j] = t.l[i * d + j] / wider;
        m->log_det[0] += log(m->l[0][i * d + i]);
    }
    return 0;
}

/* n draws z[n][d] of the network's posterior for counts[n_bin]; *m is what resampling starts from. work: of the net,
   one row. */
static inline int xray_net_draw(double *z, xray_mixture *m, const xray_net *net, bml_nn_work *work,
                                const double *counts, int n, uint64_t seed, char *err) {
    bml_nn_real *x = xray_alloc((size_t)net->n_bin, sizeof *x), *out;
    bml_mcmc_rng rng;
    size_t n_out = bml_nn_n_out(net->nn);
    int status = BML_NN_NO_MEMORY;
    out = xray_alloc(net->mixture ? n_out : n_out * (size_t)n, sizeof *out);
    bml_mcmc_rng_init(&rng, seed, 13);
    if (x && out) {
        xray_net_input(x, net, counts);
        status =
            net->mixture ? bml_nn_predict(net->nn, work, out, x, 1) : bml_nn_draws(net->nn, work, out, x, 1, n, seed);
    }
    if (!status && net->mixture) {
        xray_mixture_from(m, out, net->k, net->d, 1);
        for (int i = 0; i < n; i++) xray_mixture_draw(z + (size_t)i * (size_t)net->d, m, 1, &rng);
    } else if (!status) { /* outside of the prior is its edge */
        for (size_t i = 0; i < (size_t)n * (size_t)net->d; i++)
            z[i] = xray_probit(fmin(fmax((double)out[i], 1e-4), 1 - 1e-4));
    }
    free(x);
    free(out);
    if (status) return error_set(err, "network: %s", bml_nn_strerror(status));
    return net->mixture ? 0 : xray_mixture_around(m, z, n, net->d, 1.5, err);
}
#endif
