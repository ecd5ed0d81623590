/* xray_net.h: posteriors of X-ray spectra from networks trained on simulations: reading a network, drawing from it,
   correcting the draws by the likelihood. Include after bml_mcmc.h. Training: xray_train.h; tests: xray_judge.h.

     xray_net_read(&net, "net.safetensors", err);
     xray_net_draw(z, &mixture, &net, work, counts, n, seed, err);             the network's own posterior, in z
     xray_net_fits(best, &near, fitter, prior, z, n, 200);                     maximum likelihood from there
     xray_resample(&r, &mixture, &near, &how, err);                            weights by the likelihood
     xray_resampled_draw(z, &r, n, seed);                                      equally weighted draws, in z
     xray_theta_from_z(theta, prior, z, n, d);

   Coordinates. A prior maps each parameter to u in (0,1), uniform; z = probit(u) is then standard normal. Networks see
   spectra, never parameters outside their prior.

   Two kinds of network:
   - dropout   (ann, cnn, gru) gives u, trained on the mean squared error with dropout, which stays on for draws: Monte
               Carlo dropout (Gal & Ghahramani 2016), as MonteXrist (Tutone et al. 2025) does it. The width of its
               posterior is that of the dropout rate, not that of the data: its coverage is to be measured, never
               assumed.
   - mixture   (mlp) gives K Gaussians in z with full covariances, trained on -ln q(z|spectrum) (Bishop 1994,
               NCRG/94/004; Papamakarios & Murray 2016, arXiv:1605.06376): with enough simulations q is the posterior.
               Inputs 2 sqrt(D + 3/8) (Anscombe 1948) and ln(D + 1), through their principal components; Poisson noise
               is drawn afresh for every epoch; at the end widths are set right on the validation rows.

   Importance resampling. Draws from q get weights L(z) prior(z)/q(z) with the true likelihood; then a few t
   distributions are fitted to the weighted draws, drawn from, and so on; all draws count, weighted by the density of
   all proposals together (Cornuet et al. 2012, Scand. J. Stat. 39, 798). A tenth of the first draws are the prior's, a
   fifth are twice as wide as the network says: what it has wrong is found again. The weights give ln Z and an effective
   sample size, for which draws are added; when it stays below some 400, do not trust the result: use nested sampling.
   Separated modes that neither the network's draws, nor fits from them, come near are not found.
   Public domain or MIT, see LICENSE. */
#ifndef XRAY_NET_H
#define XRAY_NET_H
#include "bml_nn.h"
#include "xray_fit.h"

/* c[0] x^(n-1) + ... + c[n-1] */
static inline double xray_horner(const double *c, int n, double x) {
    double sum = c[0];
    for (int i = 1; i < n; i++)
        sum = sum * x + c[i];
    return sum;
}

/* Inverse of the normal distribution (Acklam's rational start, one step of Halley): relative error below 1e-14. */
static inline double xray_probit(double p) {
    static const double a[] = {-3.969683028665376e1, 2.209460984245205e2,  -2.759285104469687e2,
                               1.383577518672690e2,  -3.066479806614716e1, 2.506628277459239};
    static const double b[] = {-5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2, 6.680131188771972e1,
                               -1.328068155288572e1};
    static const double c[] = {-7.784894002430293e-3, -3.223964580411365e-1, -2.400758277161838,
                               -2.549732539343734,    4.374664141464968,     2.938163982698783};
    static const double d[] = {7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416};
    if (!(p > 1e-300)) {
        p = 1e-300;
    }
    if (!(p < 1 - 1e-16)) {
        p = 1 - 1e-16;
    }
    double q;
    double x;
    if (p < 0.02425 || p > 1 - 0.02425) {
        q = sqrt(-2 * log(p < 0.5 ? p : 1 - p));
        x = xray_horner(c, 6, q) / (xray_horner(d, 4, q) * q + 1);
        if (p > 0.5) {
            x = -x;
        }
    } else {
        q = p - 0.5;
        double r = q * q;
        x = xray_horner(a, 6, r) * q / (xray_horner(b, 5, r) * r + 1);
    }
    double e = 0.5 * erfc(-x / 1.4142135623730951) - p;
    e *= 2.5066282746310002 * exp(0.5 * x * x);
    return isfinite(e) ? x - e / (1 + 0.5 * x * e) : x;
}

static inline double xray_normal_cdf(double x) {
    return 0.5 * erfc(-x / 1.4142135623730951);
}

/* Where row i of rows of d numbers begins. */
static inline size_t xray_at(long i, int d) {
    return (size_t)i * (size_t)d;
}

/* Solves L x = y for the lower triangular L[d][d]. */
static inline void xray_forward(double *x, const double *L, const double *y, int d) {
    for (int i = 0; i < d; i++) {
        const double *row = L + i * d;
        double s = y[i];
        for (int j = 0; j < i; j++)
            s -= row[j] * x[j];
        x[i] = s / row[i];
    }
}

/* |L (z - mean)|^2 for the lower triangular L[d][d]. */
static inline double xray_square(const double *L, const double *z, const double *mean, int d) {
    double s = 0;
    for (int i = 0; i < d; i++) {
        const double *row = L + i * d;
        double y = 0;
        for (int j = 0; j <= i; j++)
            y += row[j] * (z[j] - mean[j]);
        s += y * y;
    }
    return s;
}

/* The number of the share that u in (0,1) falls to, of n that add up to 1. */
static inline int xray_pick(const double *share, int n, double u) {
    int c = 0;
    double left = u - share[0];
    while (c + 1 < n && left > 0) {
        c++;
        left -= share[c];
    }
    return c;
}

/* ==== mixtures ====================================================================================================
   K Gaussians over d dimensions. Component k: share exp(log_share), mean, and lower triangular L with precision L^T L.
   A network writes them as K rows of 1 + d + d (d+1)/2 numbers: logit, mean, then row by row L_ij/L_ii and, on the
   diagonal, ln L_ii. So z_i, given those before it, has mean m_i - sum_j<i (L_ij/L_ii) (z_j - m_j) and standard
   deviation 1/L_ii: the ratios are of order 1 however narrow the posterior is. */

enum { XRAY_MAX_K = 32 };

static inline int xray_mixture_size(int d) {
    return 1 + d + d * (d + 1) / 2;
}

typedef struct xray_mixture {
    int k;
    int d;
    double log_share[XRAY_MAX_K]; /* ln of the sum-to-one shares */
    double log_det[XRAY_MAX_K];   /* ln det L */
    double mean[XRAY_MAX_K][XRAY_MAX_FREE];
    double l[XRAY_MAX_K][XRAY_MAX_FREE * XRAY_MAX_FREE];
} xray_mixture;

/* From a network's row of K xray_mixture_size(d) numbers; every standard deviation times `wider`. */
static inline void xray_mixture_from(xray_mixture *m, const bml_nn_real *row, int k, int d, double wider) {
    double top = -1e300;
    double sum = 0;
    m->k = k;
    m->d = d;
    for (int c = 0; c < k; c++) {
        double logit = (double)row[c * xray_mixture_size(d)];
        top = fmax(top, logit);
    }
    for (int c = 0; c < k; c++) {
        const bml_nn_real *p = row + c * xray_mixture_size(d);
        double logit = (double)p[0] - top;
        sum += exp(logit);
        m->log_share[c] = logit;
        m->log_det[c] = 0;
        for (int i = 0; i < d; i++)
            m->mean[c][i] = (double)p[1 + i];
        p += 1 + d;
        for (int i = 0; i < d; i++) {
            double *l = m->l[c] + i * d;
            double log_l = fmin(fmax((double)p[i], -30), 30);
            double e = exp(log_l) / wider;
            for (int j = 0; j < i; j++)
                l[j] = (double)p[j] * e;
            l[i] = e;
            m->log_det[c] += log(e);
            p += i + 1;
        }
    }
    for (int c = 0; c < k; c++)
        m->log_share[c] -= log(sum);
}

/* ln q(z) */
static inline double xray_mixture_log(const xray_mixture *m, const double *z) {
    double each[XRAY_MAX_K];
    double top = -1e300;
    double sum = 0;
    int d = m->d;
    for (int c = 0; c < m->k; c++) {
        double s = xray_square(m->l[c], z, m->mean[c], d);
        each[c] = m->log_share[c] + m->log_det[c] - 0.5 * s - 0.91893853320467274 * d;
        top = fmax(top, each[c]);
    }
    for (int c = 0; c < m->k; c++)
        sum += exp(each[c] - top);
    return top + log(sum);
}

/* One draw; times `wider` from its mean. */
static inline void xray_mixture_draw(double *z, const xray_mixture *m, double wider, bml_mcmc_rng *rng) {
    double share[XRAY_MAX_K];
    double y[XRAY_MAX_FREE];
    double e[XRAY_MAX_FREE];
    int d = m->d;
    for (int c = 0; c < m->k; c++)
        share[c] = exp(m->log_share[c]);
    int c = xray_pick(share, m->k, bml_mcmc_rng_uniform(rng));
    for (int i = 0; i < d; i++)
        y[i] = bml_mcmc_rng_normal(rng) * wider;
    xray_forward(e, m->l[c], y, d);
    for (int i = 0; i < d; i++)
        z[i] = m->mean[c][i] + e[i];
}

/* ==== importance resampling ======================================================================================= */

/* log_target[n] of z[n][d]: ln likelihood + ln normal density of z; -INFINITY is allowed. */
typedef void (*xray_target)(double *log_target, const double *z, int n, int d, void *user);

enum { XRAY_STAGES = 24 };
enum { XRAY_T = 4 };

typedef struct xray_resampling {
    int first;     /* draws from the network; 0: 1500 */
    int stage;     /* of each stage after; 0: 1000 */
    int most;      /* in all; 0: 10000 */
    double enough; /* effective samples; 0: 2000 */
    xray_target target;
    void *user;
    uint64_t seed;
} xray_resampling;

typedef struct xray_resampled {
    int n; /* all draws */
    int d;
    double *z;          /* [n][d] */
    double *log_target; /* [n] */
    double *weight;     /* [n] sum 1 */
    double ess;         /* of all */
    double ess_net;     /* and, of the network's own draws, the share of them that is effective */
    double log_z;
    double log_z_error;
} xray_resampled;

static inline void xray_resampled_free(xray_resampled *r) {
    free(r->z);
    memset(r, 0, sizeof *r);
}

/* A multivariate t with nu = 5 at mean[d], L lower triangular with scale matrix (L^T L)^-1. */
typedef struct xray_t {
    int d;
    double mean[XRAY_MAX_FREE];
    double l[XRAY_MAX_FREE * XRAY_MAX_FREE];
    double log_norm;
} xray_t;

static const double xray_t_nu = 5;

static inline double xray_t_log(const xray_t *t, const double *z) {
    double s = xray_square(t->l, z, t->mean, t->d);
    return t->log_norm - 0.5 * (xray_t_nu + t->d) * log1p(s / xray_t_nu);
}

static inline void xray_t_draw(double *z, const xray_t *t, bml_mcmc_rng *rng) {
    double chi2 = 0;
    double y[XRAY_MAX_FREE];
    double e[XRAY_MAX_FREE];
    int d = t->d;
    for (int i = 0; i < (int)xray_t_nu; i++) {
        double x = bml_mcmc_rng_normal(rng);
        chi2 += x * x;
    }
    double wider = sqrt(xray_t_nu / chi2);
    for (int i = 0; i < d; i++)
        y[i] = bml_mcmc_rng_normal(rng) * wider;
    xray_forward(e, t->l, y, d);
    for (int i = 0; i < d; i++)
        z[i] = t->mean[i] + e[i];
}

/* The t with that mean[d] and covariance, given in cov[d][d], whose lower half is used up; 0 where it is degenerate. */
static inline int xray_t_make(xray_t *t, const double *mean, double *cov, int d) {
    double x[XRAY_MAX_FREE];
    memset(t, 0, sizeof *t);
    t->d = d;
    memcpy(t->mean, mean, (size_t)d * sizeof *mean);
    if (!xray_cholesky(cov, d)) {
        return 0;
    }
    for (int k = 0; k < d; k++) { /* the lower factor of cov is C; L = C^-1 is lower triangular too */
        double unit[XRAY_MAX_FREE] = {0};
        unit[k] = 1;
        xray_forward(x, cov, unit, d);
        for (int i = 0; i < d; i++)
            t->l[i * d + k] = x[i];
        t->log_norm -= log(cov[k * d + k]);
    }
    double of_both = lgamma(0.5 * (xray_t_nu + d));
    double of_nu = lgamma(0.5 * xray_t_nu);
    t->log_norm += of_both - of_nu - 0.5 * d * log(xray_t_nu * 3.141592653589793);
    return 1;
}

/* The t with the weighted mean and covariance of z[n][d]; weights sum to anything above 0. */
static inline int xray_t_fit(xray_t *t, const double *z, const double *weight, int n, int d) {
    double cov[XRAY_MAX_FREE * XRAY_MAX_FREE] = {0};
    double mean[XRAY_MAX_FREE] = {0};
    double all = 0;
    for (int i = 0; i < n; i++) {
        const double *at = z + xray_at(i, d);
        all += weight[i];
        for (int k = 0; k < d; k++)
            mean[k] += weight[i] * at[k];
    }
    for (int k = 0; k < d; k++)
        mean[k] /= all;
    for (int i = 0; i < n; i++) {
        const double *at = z + xray_at(i, d);
        if (!(weight[i] > 0)) {
            continue;
        }
        double share = weight[i] / all;
        for (int k = 0; k < d; k++) {
            double off = share * (at[k] - mean[k]);
            double *row = cov + k * d;
            for (int l = 0; l <= k; l++)
                row[l] += off * (at[l] - mean[l]);
        }
    }
    for (int k = 0; k < d; k++)
        cov[k * d + k] *= 1 + 1e-6;
    return xray_t_make(t, mean, cov, d);
}

/* Up to XRAY_T of them with their shares: a proposal. */
typedef struct xray_proposal {
    int k;
    double share[XRAY_T];
    xray_t t[XRAY_T];
} xray_proposal;

static inline double xray_proposal_density(const xray_proposal *p, const double *z) {
    double sum = 0;
    for (int c = 0; c < p->k; c++)
        sum += p->share[c] * exp(xray_t_log(&p->t[c], z));
    return sum;
}

static inline void xray_proposal_draw(double *z, const xray_proposal *p, bml_mcmc_rng *rng) {
    int c = xray_pick(p->share, p->k, bml_mcmc_rng_uniform(rng));
    xray_t_draw(z, &p->t[c], rng);
}

/* Leaves out components that are too small to have a covariance; returns how many are left. */
static inline int xray_proposal_tidy(xray_proposal *p) {
    int k = 0;
    double all = 0;
    for (int c = 0; c < p->k; c++) {
        if (!(p->share[c] > 0.01)) {
            continue;
        }
        p->t[k] = p->t[c];
        p->share[k] = p->share[c];
        all += p->share[k];
        k++;
    }
    for (int c = 0; c < k; c++)
        p->share[c] /= all;
    p->k = k;
    return k;
}

/* part[c][n] = weight times the share of component c in the proposal's density at each draw. */
static inline void xray_proposal_parts(double *part, const xray_proposal *p, const double *z, const double *weight,
                                       int n, int d) {
    for (int i = 0; i < n; i++) {
        const double *at = z + xray_at(i, d);
        double q[XRAY_T] = {0};
        double sum = 0;
        for (int c = 0; c < p->k && weight[i] > 1e-9; c++) {
            q[c] = p->share[c] * exp(xray_t_log(&p->t[c], at));
            sum += q[c];
        }
        double scale = sum > 0 ? weight[i] / sum : 0;
        for (int c = 0; c < p->k; c++)
            part[c * n + i] = q[c] * scale;
    }
}

/* Fits the proposal to weighted draws z[n][d], weights of sum 1, by expectation and maximisation (Cappe et al. 2008,
   Stat. Comput. 18, 447). It starts from one t for all, with centres at draws taken by their weights. part[XRAY_T][n]:
   room. Returns 0 where the draws are degenerate. */
static inline int xray_proposal_fit(xray_proposal *p, const double *z, const double *weight, double *part, int n, int d,
                                    bml_mcmc_rng *rng) {
    enum { ROUNDS = 12 };
    if (!xray_t_fit(&p->t[0], z, weight, n, d)) {
        return 0;
    }
    p->k = XRAY_T;
    for (int c = 0; c < XRAY_T; c++) {
        int i = xray_pick(weight, n, bml_mcmc_rng_uniform(rng));
        p->t[c] = p->t[0];
        p->share[c] = 1.0 / XRAY_T;
        if (c) {
            memcpy(p->t[c].mean, z + xray_at(i, d), (size_t)d * sizeof *z);
        }
    }
    for (int round = 0; round < ROUNDS; round++) {
        xray_proposal next = *p;
        xray_proposal_parts(part, p, z, weight, n, d);
        for (int c = 0; c < p->k; c++) {
            const double *own = part + c * n;
            double sum = 0;
            double square = 0;
            for (int i = 0; i < n; i++) {
                sum += own[i];
                square += own[i] * own[i];
            }
            int enough = sum * sum > 4 * (d + 1) * square; /* of effective draws */
            int fitted = enough && xray_t_fit(&next.t[c], z, own, n, d);
            next.share[c] = fitted ? sum : 0;
        }
        if (xray_proposal_tidy(&next) == 0) {
            break;
        }
        *p = next;
    }
    return 1;
}

/* weight[n] = exp(power (log_ratio - top)), normalised; returns the effective sample size. */
static inline double xray_weights(double *weight, const double *log_ratio, int n, double power) {
    double top = -1e300;
    double sum = 0;
    double square = 0;
    for (int i = 0; i < n; i++)
        top = fmax(top, log_ratio[i]);
    for (int i = 0; i < n; i++) {
        weight[i] = exp(power * (log_ratio[i] - top));
        sum += weight[i];
    }
    for (int i = 0; i < n; i++) {
        weight[i] /= sum;
        square += weight[i] * weight[i];
    }
    return square > 0 ? 1 / square : 0;
}

/* The mixture with every standard deviation twice as large. */
static inline void xray_mixture_widen(xray_mixture *wide, const xray_mixture *m) {
    *wide = *m;
    for (int c = 0; c < m->k; c++) {
        for (int i = 0; i < m->d * m->d; i++)
            wide->l[c][i] *= 0.5;
        wide->log_det[c] -= m->d * 0.6931471805599453;
    }
}

/* The first proposal: seven tenths the network's mixture, two tenths the same twice as wide, one tenth the prior. */
static inline double xray_first_density(const xray_mixture *m, const xray_mixture *wide, const double *z) {
    double prior = 0;
    for (int k = 0; k < m->d; k++)
        prior -= 0.5 * z[k] * z[k] + 0.91893853320467274;
    double own = exp(xray_mixture_log(m, z));
    double widened = exp(xray_mixture_log(wide, z));
    return 0.7 * own + 0.2 * widened + 0.1 * exp(prior);
}

static inline void xray_first_draw(double *z, const xray_mixture *m, int i, bml_mcmc_rng *rng) {
    if (i % 10 < 9) {
        double wider = i % 10 < 7 ? 1 : 2;
        xray_mixture_draw(z, m, wider, rng);
        return;
    }
    for (int k = 0; k < m->d; k++)
        z[k] = bml_mcmc_rng_normal(rng);
}

/* ln of the mean weight, its error and the effective sample size, from all n = done draws. */
static inline int xray_resampled_sum(xray_resampled *r, const double *ratio, char *err) {
    double top = -1e300;
    double sum = 0;
    r->ess = xray_weights(r->weight, ratio, r->n, 1);
    for (int i = 0; i < r->n; i++)
        top = fmax(top, ratio[i]);
    for (int i = 0; i < r->n; i++)
        sum += exp(ratio[i] - top);
    r->log_z = top + log(sum); /* sum of target/(n q) */
    r->log_z_error = sqrt(fmax(1 / r->ess - 1.0 / r->n, 0));
    if (r->ess >= 1) {
        return 0;
    }
    xray_resampled_free(r);
    return error_set(err, "importance resampling: the likelihood is zero at all draws");
}

/* The proposal of the next stage: `near`, if there is one and it is the first, else a fit to what is known. Weights are
   flattened until enough draws count. */
static inline int xray_next_proposal(xray_proposal *p, xray_resampled *r, const double *ratio, double *part, int stage,
                                     const xray_proposal *near, bml_mcmc_rng *rng) {
    double power = 1;
    if (stage == 1 && near && near->k) {
        *p = *near;
        return 1;
    }
    const double enough = fmin(25.0 * r->d, 0.3 * r->n);
    while (xray_weights(r->weight, ratio, r->n, power) < enough && power > 1e-3)
        power *= 0.8;
    return xray_proposal_fit(p, r->z, r->weight, part, r->n, r->d, rng);
}

/* A density at z and those of the proposals from `first` to `last` (the network's own, number 0, left out), by their
   counts of draws. */
static inline double xray_add_proposals(double density, const xray_proposal *p, const int *count, int first, int last,
                                        const double *z) {
    for (int s = first > 1 ? first : 1; s <= last; s++) {
        density += count[s] * xray_proposal_density(&p[s], z);
    }
    return density;
}

/* The draws of a stage, numbers `done` to r->n - 1. */
static inline void xray_stage_draws(xray_resampled *r, const xray_mixture *m, const xray_proposal *p, int stage,
                                    int done, bml_mcmc_rng *rng) {
    for (int i = done; i < r->n; i++) {
        double *z = r->z + xray_at(i, r->d);
        if (stage) {
            xray_proposal_draw(z, p, rng);
        } else {
            xray_first_draw(z, m, i, rng);
        }
    }
}

/* What draws come from: the mixture, the same widened, proposals with their counts of draws. */
typedef struct xray_sources {
    const xray_mixture *m;
    const xray_mixture *wide;
    const xray_proposal *p;
    const int *count;
} xray_sources;

/* ratio[r->n], ln of target over density: every draw by every proposal so far. density: sum over proposals of count q,
   kept from stage to stage; of draws from `done` on it begins here. */
static inline void xray_stage_ratios(double *ratio, double *density, const xray_resampled *r, const xray_sources *s,
                                     int stage, int done) {
    for (int i = 0; i < r->n; i++) {
        const double *z = r->z + xray_at(i, r->d);
        if (i >= done) {
            density[i] = s->count[0] * xray_first_density(s->m, s->wide, z);
        }
        const int from = i < done ? stage : 1;
        density[i] = xray_add_proposals(density[i], s->p, s->count, from, stage, z);
        ratio[i] = -1e300;
        if (density[i] > 0) {
            ratio[i] = r->log_target[i] - log(density[i]);
        }
    }
}

/* Draws from the mixture, widened and with a part from the prior so that its tails are never too light; then stages of
   draws from t distributions fitted to all before, until there are enough effective samples. The first of the stages is
   `near` unless that is NULL: t around the best fits, found from the network's answers, help where the network is far
   wider than the posterior. Free it. Returns 0, or -1 with err; r->ess below config's `enough` is no error. */
static inline int xray_resample(xray_resampled *r, const xray_mixture *m, const xray_proposal *near,
                                const xray_resampling *config, char *err) {
    int first = config->first ? config->first : 1500;
    int more = config->stage ? config->stage : 1000;
    int d = m->d;
    int stage = 0;
    int most = config->most ? config->most : 10000;
    int room = most > first ? most : first;
    int count[XRAY_STAGES];
    double enough = config->enough > 0 ? config->enough : 2000;
    xray_proposal *p = xray_alloc(XRAY_STAGES, sizeof *p);
    xray_mixture wide;
    xray_mixture_widen(&wide, m);
    const xray_sources all = {m, &wide, p, count};
    memset(r, 0, sizeof *r);
    r->d = d;
    r->z = p ? xray_alloc((size_t)room, ((size_t)d + 4 + XRAY_T) * sizeof *r->z) : NULL;
    if (!r->z) {
        free(p);
        return error_set(err, "out of memory");
    }
    r->log_target = r->z + xray_at(room, d);
    r->weight = r->log_target + room;
    double *density = r->weight + room;
    double *ratio = density + room; /* log weights */
    double *part = ratio + room;    /* [XRAY_T][room] */
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, config->seed, 11);
    for (; stage < XRAY_STAGES; stage++) {
        int done = r->n;
        int room_left = stage == 0 || done + more <= most;
        int wanted = stage < 3 || r->ess < enough;
        if (!room_left || !wanted) {
            break;
        }
        if (stage && !xray_next_proposal(&p[stage], r, ratio, part, stage, near, &rng)) {
            break;
        }
        count[stage] = stage ? more : first;
        r->n += count[stage];
        xray_stage_draws(r, m, &p[stage], stage, done, &rng);
        config->target(r->log_target + done, r->z + xray_at(done, d), r->n - done, d, config->user);
        xray_stage_ratios(ratio, density, r, &all, stage, done);
        r->ess = xray_weights(r->weight, ratio, r->n, 1);
        if (stage == 0) {
            r->ess_net = r->ess / r->n;
        }
    }
    free(p);
    return xray_resampled_sum(r, ratio, err);
}

/* out[n][d]: equally weighted z by systematic resampling, in random order. */
static inline void xray_resampled_draw(double *out, const xray_resampled *r, int n, uint64_t seed) {
    bml_mcmc_rng rng;
    double sum = 0;
    int from = 0;
    int d = r->d;
    bml_mcmc_rng_init(&rng, seed, 12);
    double at = bml_mcmc_rng_uniform(&rng) / n;
    for (int i = 0; i < n; i++) {
        while (from < r->n - 1 && sum + r->weight[from] < at) {
            sum += r->weight[from];
            from++;
        }
        at += 1.0 / n;
        memcpy(out + xray_at(i, d), r->z + xray_at(from, d), (size_t)d * sizeof *out);
    }
    for (int i = n - 1; i > 0; i--) {
        int k = (int)(bml_mcmc_rng_uniform(&rng) * (i + 1));
        double *here = out + xray_at(i, d);
        double *there = out + xray_at(k, d);
        for (int j = 0; j < d; j++) {
            double swap = here[j];
            here[j] = there[j];
            there[j] = swap;
        }
    }
}

/* ==== a trained network =========================================================================================== */

typedef struct xray_net {
    bml_nn *nn;
    int mixture; /* 1: mixture of k components; 0: dropout */
    int k;
    int d;
    int n_bin;
    double exposure; /* s */
    int *bin;        /* [n_channel] the bins that it was trained for */
    int n_channel;
    const char *model;        /* texts in the file: expression */
    const char *prior;        /* prior lines */
    const char *fixed;        /* NAME=VALUE lines */
    int statistic;            /* XRAY_C ... */
    int abundance;            /* XRAY_WILM, XRAY_ANGR, or -1: a table of the user's own */
    const bml_nn_real *shift; /* [d][xray_shift_size(d)], see xray_net_adjust; NULL: none */
} xray_net;

/* Terms of a polynomial of second degree in d variables. */
static inline int xray_shift_size(int d) {
    return 1 + d + d * (d + 1) / 2;
}

static inline void xray_net_free(xray_net *n) {
    bml_nn_free(n->nn);
    free(n->bin);
    memset(n, 0, sizeof *n);
}

/* Counts D in x[n_bin] become what networks see. Dropout: x[n_bin], as they are. Mixture: x[2 n_bin], 2 sqrt(D + 3/8),
   whose noise is 1 in every bin, and ln(D + 1), in which brightness is one number added to the shape. */
static inline void xray_input(float *x, int n_bin, int mixture) {
    for (int b = 0; b < n_bin && mixture; b++) {
        x[n_bin + b] = logf(x[b] + 1);
        x[b] = 2 * sqrtf(x[b] + 0.375f);
    }
}

static inline size_t xray_input_size(int n_bin, int mixture) {
    return (size_t)n_bin * (mixture ? 2 : 1);
}

/* term[xray_shift_size(d)] at a mixture's mean: 1, x_k, x_k x_l with x = 2 Phi(mean of z) - 1. */
static inline void xray_shift_terms(double *term, const xray_mixture *m) {
    int d = m->d;
    int at = 1 + d;
    term[0] = 1;
    for (int k = 0; k < d; k++) {
        double mean = 0;
        for (int c = 0; c < m->k; c++)
            mean += exp(m->log_share[c]) * m->mean[c][k];
        term[1 + k] = 2 * xray_normal_cdf(mean) - 1;
        for (int l = 0; l <= k; l++) {
            term[at] = term[1 + k] * term[1 + l];
            at++;
        }
    }
}

/* The mixture for one row of the network's outputs, shifted as xray_net_adjust has found. */
static inline void xray_net_mixture_of(xray_mixture *m, const xray_net *net, const bml_nn_real *out) {
    double term[1 + XRAY_MAX_FREE + XRAY_MAX_FREE * (XRAY_MAX_FREE + 1) / 2];
    int size = xray_shift_size(net->d);
    xray_mixture_from(m, out, net->k, net->d, 1);
    if (!net->shift) {
        return;
    }
    xray_shift_terms(term, m);
    for (int k = 0; k < net->d; k++) {
        const bml_nn_real *shift = net->shift + k * size;
        for (int i = 0; i < size; i++)
            for (int c = 0; c < m->k; c++)
                m->mean[c][k] += (double)shift[i] * term[i];
    }
}

/* Reads a network and all that it says about itself. Free it. */
static inline int xray_net_read(xray_net *net, const char *path, char *err) {
    size_t n = 0;
    size_t three = 0;
    size_t n_shift = 0;
    char word[16] = "";
    memset(net, 0, sizeof *net);
    char why[BML_NN_MESSAGE];
    int status = bml_nn_load(&net->nn, path, why);
    if (status) {
        error_set(err, "%.300s: %s: %.150s", path, bml_nn_strerror(status), why);
        xray_net_free(net);
        return -1;
    }
    const char *kind = bml_nn_get_text(net->nn, "xray_kind");
    net->model = bml_nn_get_text(net->nn, "xray_model");
    net->prior = bml_nn_get_text(net->nn, "xray_prior");
    net->fixed = bml_nn_get_text(net->nn, "xray_fixed");
    const bml_nn_real *bin = bml_nn_get_array(net->nn, "xray_bin", &n);
    const bml_nn_real *how = bml_nn_get_array(net->nn, "xray_how", &three);
    int sound = kind && net->model && net->prior && net->fixed;
    sound = sound && bin && how && three == 3 && n <= XRAY_MAX_CHANNELS;
    sound = sound && sscanf(kind, "%15s %d %d", word, &net->k, &net->d) == 3;
    sound = sound && net->d > 0 && net->d <= XRAY_MAX_FREE;
    sound = sound && net->k >= 0 && net->k <= XRAY_MAX_K;
    net->mixture = !strcmp(word, "mixture");
    net->n_bin = (int)bml_nn_n_in(net->nn) / (net->mixture ? 2 : 1);
    if (sound) {
        int n_out = net->mixture ? net->k * xray_mixture_size(net->d) : net->d;
        sound = bml_nn_n_out(net->nn) == (size_t)n_out;
    }
    const bml_nn_real *shift = bml_nn_get_array(net->nn, "xray_shift", &n_shift);
    if (sound && shift) {
        sound = n_shift == (size_t)(net->d * xray_shift_size(net->d));
    }
    net->bin = sound ? xray_alloc(n, sizeof *net->bin) : NULL;
    for (size_t c = 0; net->bin && c < n; c++) {
        double number = (double)bin[c];
        sound = sound && number >= -1 && number < net->n_bin;
        net->bin[c] = sound ? (int)number : -1;
    }
    if (!sound || !net->bin) {
        xray_net_free(net);
        return error_set(err, "%.300s: not a network of fit_xray train", path);
    }
    net->shift = shift;
    net->n_channel = (int)n;
    net->exposure = (double)how[0];
    net->statistic = (int)how[1];
    net->abundance = (int)how[2];
    return 0;
}

/* One Gaussian, `wider` times as wide, around draws z[n][d]: what resampling starts from for a dropout network. */
static inline int xray_mixture_around(xray_mixture *m, const double *z, int n, int d, double wider, char *err) {
    double *weight = xray_alloc((size_t)n, sizeof *weight);
    if (!weight) {
        return error_set(err, "out of memory");
    }
    for (int i = 0; i < n; i++)
        weight[i] = 1.0 / n;
    xray_t t;
    int good = xray_t_fit(&t, z, weight, n, d);
    free(weight);
    if (!good) {
        return error_set(err, "the network's draws are all the same");
    }
    memset(m, 0, sizeof *m);
    m->k = 1;
    m->d = d;
    for (int i = 0; i < d; i++) {
        const double *from = t.l + i * d;
        double *to = m->l[0] + i * d;
        m->mean[0][i] = t.mean[i];
        for (int j = 0; j <= i; j++)
            to[j] = from[j] / wider;
        m->log_det[0] += log(to[i]);
    }
    return 0;
}

/* n draws z[n][d] of the network's posterior for counts[n_bin]; *m is what resampling starts from. work: of the net,
   one row. */
static inline int xray_net_draw(double *z, xray_mixture *m, const xray_net *net, bml_nn_work *work,
                                const double *counts, int n, uint64_t seed, char *err) {
    bml_nn_real *x = xray_alloc(bml_nn_n_in(net->nn), sizeof *x);
    bml_nn_real *out;
    size_t n_out = bml_nn_n_out(net->nn);
    int status = BML_NN_NO_MEMORY;
    out = xray_alloc(net->mixture ? n_out : n_out * (size_t)n, sizeof *out);
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, seed, 13);
    if (x && out) {
        for (int b = 0; b < net->n_bin; b++)
            x[b] = (bml_nn_real)counts[b];
        xray_input(x, net->n_bin, net->mixture);
        if (net->mixture) {
            status = bml_nn_predict(net->nn, work, out, x, 1);
        } else {
            status = bml_nn_draws(net->nn, work, out, x, 1, n, seed);
        }
    }
    if (!status && net->mixture) {
        xray_net_mixture_of(m, net, out);
        for (int i = 0; i < n; i++)
            xray_mixture_draw(z + xray_at(i, net->d), m, 1, &rng);
    } else if (!status) { /* outside of the prior is its edge */
        for (size_t i = 0; i < xray_at(n, net->d); i++) {
            double u = fmin(fmax((double)out[i], 1e-4), 1 - 1e-4);
            z[i] = xray_probit(u);
        }
    }
    free(x);
    free(out);
    if (status) {
        return error_set(err, "network: %s", bml_nn_strerror(status));
    }
    return net->mixture ? 0 : xray_mixture_around(m, z, n, net->d, 1.5, err);
}

/* ==== a spectrum's posterior, from the network's draws ============================================================ */

/* The likelihood of a spectrum in z, over threads: fitter[threads]. */
typedef struct xray_posterior {
    const bml_mcmc_prior *prior;
    xray_fitter **fitter;
    int threads;
} xray_posterior;

/* theta[n][d] of z[n][d]. */
static inline void xray_theta_from_z(double *theta, const bml_mcmc_prior *prior, const double *z, long n, int d) {
    double u[XRAY_MAX_FREE];
    for (long i = 0; i < n; i++) {
        for (int k = 0; k < d; k++) {
            double below = xray_normal_cdf(z[i * d + k]);
            u[k] = fmin(fmax(below, 1e-15), 1 - 1e-15);
        }
        bml_mcmc_prior_transform(prior, theta + i * d, u);
    }
}

/* An xray_target: user is an xray_posterior. */
static inline void xray_posterior_target(double *out, const double *z, int n, int d, void *user) {
    const xray_posterior *p = user;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(p->threads) if (p->threads > 1)
#endif
    for (int i = 0; i < n; i++) {
        const double *at = z + xray_at(i, d);
        double theta[XRAY_MAX_FREE];
        double log_prior = 0;
        xray_theta_from_z(theta, p->prior, at, 1, d);
        int thread = p->threads > 1 ? thread_number() : 0;
        double v = xray_evaluate(p->fitter[thread], theta);
        for (int k = 0; k < d; k++)
            log_prior -= 0.5 * at[k] * at[k] + 0.91893853320467274;
        out[i] = -(double)INFINITY;
        if (v < (double)INFINITY) {
            out[i] = log_prior - 0.5 * v;
        }
    }
}

/* A t around a fit, in z: its covariance carried over from the cube of the fit; wide where the fit says nothing. */
static inline int xray_near_fit(xray_t *t, const bml_mcmc_prior *prior, const xray_fitter *f, const xray_best *best) {
    int d = f->n_free;
    double mean[XRAY_MAX_FREE];
    double slope[XRAY_MAX_FREE];
    double cov[XRAY_MAX_FREE * XRAY_MAX_FREE];
    double cube[2][XRAY_MAX_FREE];
    for (int side = 0; side < 2; side++) { /* a small step to both sides, inside */
        double theta[XRAY_MAX_FREE];
        double u[XRAY_MAX_FREE];
        double step = side ? 5e-4 : -5e-4;
        for (int k = 0; k < d; k++)
            u[k] = fmin(fmax(best->u[k], 1e-3), 1 - 1e-3) + step;
        xray_from_cube(theta, f, u);
        if (bml_mcmc_prior_inverse(prior, cube[side], theta)) {
            return 0;
        }
    }
    for (int k = 0; k < d; k++) {
        double lo = xray_probit(cube[0][k]);
        double hi = xray_probit(cube[1][k]);
        mean[k] = 0.5 * (lo + hi);
        slope[k] = (hi - lo) / 1e-3;
    }
    for (int k = 0; k < d; k++)
        for (int l = 0; l <= k; l++)
            cov[k * d + l] = 1.2 * slope[k] * slope[l] * best->covariance[k * d + l];
    for (int k = 0; k < d; k++) { /* held at an edge, or not constrained */
        double variance = cov[k * d + k];
        if (variance > 0 && variance < 1) {
            continue;
        }
        for (int l = 0; l < k; l++)
            cov[k * d + l] = 0;
        for (int l = k + 1; l < d; l++)
            cov[l * d + k] = 0;
        cov[k * d + k] = 0.5;
    }
    return xray_t_make(t, mean, cov, d);
}

enum { XRAY_FITS = 3 };

/* Fits from the network's answer: the mean of its draws z[n][d] and the two draws of the lowest statistic among the
   first `look`. best[XRAY_FITS], the best first; near, unless NULL, gets t around those that are near it. */
static inline void xray_net_fits(xray_best *best, xray_proposal *near, xray_fitter *f, const bml_mcmc_prior *prior,
                                 const double *z, int n, int look) {
    int d = f->n_free;
    int first[XRAY_FITS] = {0, -1, -1};
    double mean[XRAY_MAX_FREE] = {0};
    double least[XRAY_FITS] = {0, (double)INFINITY, (double)INFINITY};
    for (int i = 0; i < n; i++)
        for (int k = 0; k < d; k++)
            mean[k] += z[i * d + k] / n;
    for (int i = 0; i < look && i < n; i++) {
        double theta[XRAY_MAX_FREE];
        xray_theta_from_z(theta, prior, z + i * d, 1, d);
        double v = xray_evaluate(f, theta);
        if (v < least[1]) {
            least[2] = least[1];
            first[2] = first[1];
            least[1] = v;
            first[1] = i;
        } else if (v < least[2]) {
            least[2] = v;
            first[2] = i;
        }
    }
    for (int s = 0; s < XRAY_FITS; s++) {
        double theta[XRAY_MAX_FREE];
        double u[XRAY_MAX_FREE];
        int at = s;
        const double *from = mean;
        if (s && first[s] >= 0) {
            from = z + first[s] * d;
        }
        xray_theta_from_z(theta, prior, from, 1, d);
        xray_to_cube(u, f, theta);
        xray_best one;
        xray_fit(&one, f, u, NULL);
        for (; at > 0 && one.statistic < best[at - 1].statistic; at--)
            best[at] = best[at - 1];
        best[at] = one;
    }
    if (near) {
        near->k = 0;
    }
    for (int s = 0; s < XRAY_FITS && near; s++) {
        double own = best[s].statistic;
        int is_new = s == 0 || own > best[s - 1].statistic + 0.01;
        if (!is_new || !(own < best[0].statistic + 30)) {
            continue;
        }
        near->k += xray_near_fit(&near->t[near->k], prior, f, &best[s]);
    }
    for (int c = 0; near && c < near->k; c++)
        near->share[c] = 1.0 / near->k;
}
#endif
