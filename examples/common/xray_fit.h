/* xray_fit.h: maximum likelihood for the models of xray.h: parameters that are free, fixed or of one spectrum only,
   fits from many starts, intervals by the change of the statistic.

     xray_problem p;
     if (xray_problem_init(&p, &model, data, n_data, XRAY_C, err)) fail("%s", err);    all free, in default ranges
     p.par[3].lo = 0.1; p.par[3].hi = 5;       or p.par[3].free = 0; p.par[3].value = 2;
     xray_fitter *f = xray_fitter_make(&p);
     xray_best best;
     xray_fit_starts(&best, f, 20, seed);
     for (int k = 0; k < f->n_free; k++)
         printf("%s %g +- %g\n", p.par[f->free_par[k]].name, best.theta[k], best.sigma[k]);
     xray_interval(&lo, &hi, f, &best, k, 1.0);
     xray_fitter_free(f);

   Method. Parameters live in the unit cube, evenly in the logarithm where .log is set. A step solves
   (H + lambda diag H) d = -g, where g is the gradient of the statistic and H its expected second derivative,
   sum over bins of curvature dM/du_k dM/du_l (Fisher scoring, with Levenberg's damping; Marquardt 1963, J. SIAM 11,
   431); parameters that press against the edge of the cube are held there. Derivatives of M by finite differences.
   H also gives the errors: statistic = -2 ln L, so that the covariance is 2 H^-1.
   When NOT to use it: for a posterior; where two parameters are exchangeable (a model with two power laws has two equal
   minima). Each thread needs a fitter of its own. Public domain or MIT, see LICENSE. */
#ifndef XRAY_FIT_H
#define XRAY_FIT_H
#include "xray.h"

enum { XRAY_MAX_DATA = 16, XRAY_MAX_ALL = 96, XRAY_MAX_FREE = 32 };

typedef struct xray_parameter {
    char name[XRAY_NAME + 16]; /* powerlaw.norm, or powerlaw.norm@2 for what belongs to the second spectrum alone */
    const char *unit;
    double value;  /* where it is fixed */
    double lo, hi; /* where it is free */
    int log, free;
    int model_par; /* its number in the model */
} xray_parameter;

typedef struct xray_problem {
    xray_model model;
    xray_data *data; /* [n_data], the caller's */
    int n_data, kind, n_all;
    xray_parameter par[XRAY_MAX_ALL];
    int at[XRAY_MAX_DATA][XRAY_MAX_PAR]; /* parameter of each spectrum's model -> par */
} xray_problem;

/* All parameters free, in the ranges of their components, the same for all spectra. */
static inline int xray_problem_init(xray_problem *p, const xray_model *m, xray_data *data, int n_data, int kind,
                                    char *err) {
    memset(p, 0, sizeof *p);
    if (n_data < 1 || n_data > XRAY_MAX_DATA)
        return error_set(err, "%d spectra: 1 to %d are possible", n_data, (int)XRAY_MAX_DATA);
    for (int i = 0; i < n_data; i++) {
        if (kind == XRAY_W && !data[i].background)
            return error_set(err, "%.300s: the W statistic needs a background spectrum", data[i].name);
        if (kind != XRAY_CHI2 && !data[i].exact)
            return error_set(err, "%.300s: holds rates, not counts: only chi2 can be used", data[i].name);
    }
    p->model = *m;
    p->data = data;
    p->n_data = n_data;
    p->kind = kind;
    p->n_all = m->n_par;
    for (int k = 0; k < m->n_par; k++) {
        xray_parameter *q = &p->par[k];
        snprintf(q->name, sizeof q->name, "%s", m->par[k].name);
        q->unit = m->par[k].unit;
        q->lo = m->par[k].lo;
        q->hi = m->par[k].hi;
        q->log = m->par[k].log;
        q->value = q->log ? sqrt(q->lo * q->hi) : 0.5 * (q->lo + q->hi);
        q->free = 1;
        q->model_par = k;
        for (int i = 0; i < n_data; i++)
            p->at[i][k] = k;
    }
    return 0;
}

/* Gives every spectrum but the first its own value of model parameter k. */
static inline int xray_problem_untie(xray_problem *p, int k, char *err) {
    for (int i = 1; i < p->n_data; i++) {
        if (p->n_all == XRAY_MAX_ALL) return error_set(err, "more than %d parameters", (int)XRAY_MAX_ALL);
        char name[XRAY_NAME + 16];
        snprintf(name, sizeof name, "%.31s@%d", p->par[k].name, i + 1);
        p->par[p->n_all] = p->par[k];
        memcpy(p->par[p->n_all].name, name, sizeof name);
        p->at[i][k] = p->n_all++;
    }
    return 0;
}

/* Number of a parameter by its whole or short name ("norm@2" too); -1: none, -2: several. */
static inline int xray_problem_find(const xray_problem *p, const char *name) {
    int found = -1;
    for (int i = 0; i < p->n_all; i++) {
        const char *dot = strchr(p->par[i].name, '.');
        if (!strcmp(p->par[i].name, name)) return i;
        if (dot && !strcmp(dot + 1, name)) found = found == -1 ? i : -2;
    }
    return found;
}

/* ==== a fitter: the problem with its scratch ====================================================================== */

typedef struct xray_fitter {
    const xray_problem *p;
    xray_work *work;
    int n_free, n_bin;              /* n_bin: of all spectra together */
    int free_par[XRAY_MAX_FREE];    /* parameter of each free one */
    double *model, *moved;          /* [n_bin] counts */
    double *slope, *curvature;      /* [n_bin] */
    double *jacobian;               /* [n_free][n_bin] dM/du */
    double *fake, *fake_background; /* [n_bin] counts in the place of the data's; NULL: the data's */
    long evaluations;
} xray_fitter;

static inline void xray_fitter_free(xray_fitter *f) {
    if (!f) return;
    xray_work_free(f->work);
    free(f->model);
    free(f);
}

/* NULL without memory, or with more than XRAY_MAX_FREE free parameters. Which are free is read here, once. */
static inline xray_fitter *xray_fitter_make(const xray_problem *p) {
    xray_fitter *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    f->p = p;
    for (int k = 0; k < p->n_all; k++) {
        if (!p->par[k].free) continue;
        if (f->n_free == XRAY_MAX_FREE) {
            free(f);
            return NULL;
        }
        f->free_par[f->n_free++] = k;
    }
    for (int i = 0; i < p->n_data; i++)
        f->n_bin += p->data[i].n;
    f->work = xray_work_make(&p->model, p->data, p->n_data);
    f->model = xray_alloc((size_t)f->n_bin, (4 + (size_t)f->n_free) * sizeof(double));
    if (!f->work || !f->model) {
        xray_fitter_free(f);
        return NULL;
    }
    f->moved = f->model + f->n_bin;
    f->slope = f->moved + f->n_bin;
    f->curvature = f->slope + f->n_bin;
    f->jacobian = f->curvature + f->n_bin;
    return f;
}

/* theta[n_free] from u[n_free] in the unit cube, and back. */
static inline void xray_from_cube(double *theta, const xray_fitter *f, const double *u) {
    for (int k = 0; k < f->n_free; k++) {
        const xray_parameter *q = &f->p->par[f->free_par[k]];
        theta[k] = q->log ? q->lo * exp(u[k] * log(q->hi / q->lo)) : q->lo + u[k] * (q->hi - q->lo);
    }
}

static inline void xray_to_cube(double *u, const xray_fitter *f, const double *theta) {
    for (int k = 0; k < f->n_free; k++) {
        const xray_parameter *q = &f->p->par[f->free_par[k]];
        double at = q->log ? log(theta[k] / q->lo) / log(q->hi / q->lo) : (theta[k] - q->lo) / (q->hi - q->lo);
        u[k] = at > 0 ? (at < 1 ? at : 1) : 0;
    }
}

/* The parameters of spectrum i's model from the free ones: full[model.n_par]. */
static inline void xray_expand(double *full, const xray_fitter *f, int i, const double *theta) {
    double all[XRAY_MAX_ALL];
    for (int k = 0; k < f->p->n_all; k++)
        all[k] = f->p->par[k].value;
    for (int k = 0; k < f->n_free; k++)
        all[f->free_par[k]] = theta[k];
    for (int k = 0; k < f->p->model.n_par; k++)
        full[k] = all[f->p->at[i][k]];
}

/* counts[n_bin] of all spectra, one after the other. */
static inline void xray_counts(double *counts, xray_fitter *f, const double *theta) {
    double full[XRAY_MAX_PAR];
    f->evaluations++;
    for (int i = 0; i < f->p->n_data; i++) {
        xray_expand(full, f, i, theta);
        xray_fold_model(counts, &f->p->data[i], &f->p->model, full, f->work);
        counts += f->p->data[i].n;
    }
}

/* The statistic of model counts[n_bin]; slope and curvature as in xray_statistic. */
static inline double xray_compare(double *slope, double *curvature, const xray_fitter *f, const double *counts) {
    double sum = 0;
    int at = 0;
    for (int i = 0; i < f->p->n_data; at += f->p->data[i++].n) {
        xray_data d = f->p->data[i];
        if (f->fake) d.counts = f->fake + at;
        if (f->fake_background && d.background) d.background = f->fake_background + at;
        sum += xray_statistic(slope, curvature, &d, counts, f->p->kind);
        counts += d.n;
        if (slope) slope += d.n;
        if (curvature) curvature += d.n;
    }
    return sum;
}

/* The statistic at theta[n_free]. */
static inline double xray_evaluate(xray_fitter *f, const double *theta) {
    xray_counts(f->moved, f, theta);
    return xray_compare(NULL, NULL, f, f->moved);
}

/* ==== one fit ===================================================================================================== */

typedef struct xray_best {
    double statistic;
    double theta[XRAY_MAX_FREE], u[XRAY_MAX_FREE];    /* the parameters, and where they are in the cube */
    double sigma[XRAY_MAX_FREE];                      /* standard deviation of theta from H; 0 where it says nothing */
    double covariance[XRAY_MAX_FREE * XRAY_MAX_FREE]; /* of u, [n_free][n_free] */
    int converged;
    int agree; /* xray_fit_starts: how many starts ended within 0.1 of the best */
} xray_best;

/* Cholesky factor of a[n][n] in place; 0 where a is not positive definite. */
static inline int xray_cholesky(double *a, int n) {
    for (int i = 0; i < n; i++)
        for (int k = 0; k <= i; k++) {
            double sum = a[i * n + k];
            for (int m = 0; m < k; m++)
                sum -= a[i * n + m] * a[k * n + m];
            if (i > k)
                a[i * n + k] = sum / a[k * n + k];
            else if (sum > 0)
                a[i * n + i] = sqrt(sum);
            else
                return 0;
        }
    return 1;
}

/* x[n] = a^-1 b from its factor. */
static inline void xray_solve(double *x, const double *factor, const double *b, int n) {
    for (int i = 0; i < n; i++) {
        double sum = b[i];
        for (int k = 0; k < i; k++)
            sum -= factor[i * n + k] * x[k];
        x[i] = sum / factor[i * n + i];
    }
    for (int i = n - 1; i >= 0; i--) {
        double sum = x[i];
        for (int k = i + 1; k < n; k++)
            sum -= factor[k * n + i] * x[k];
        x[i] = sum / factor[i * n + i];
    }
}

/* Gradient g[n_free] and expected second derivative h[n_free][n_free] by u. f->model holds the counts at u. */
static inline void xray_derivatives(double *g, double *h, xray_fitter *f, const double *u) {
    const double step = 1e-5; /* rounding in M, 1e-14, and curvature, 1e-5: both far below what a step needs */
    double theta[XRAY_MAX_FREE];
    double moved[XRAY_MAX_FREE];
    int n = f->n_free;
    xray_compare(f->slope, f->curvature, f, f->model);
    memcpy(moved, u, (size_t)n * sizeof *u);
    for (int k = 0; k < n; k++) {
        double *j = f->jacobian + (size_t)k * (size_t)f->n_bin;
        double h_k = u[k] + step > 1 ? -step : step;
        moved[k] = u[k] + h_k;
        xray_from_cube(theta, f, moved);
        xray_counts(f->moved, f, theta);
        moved[k] = u[k];
        g[k] = 0;
        for (int i = 0; i < f->n_bin; i++) {
            j[i] = (f->moved[i] - f->model[i]) / h_k;
            g[k] += f->slope[i] * j[i];
        }
        for (int l = 0; l <= k; l++) {
            const double *other = f->jacobian + (size_t)l * (size_t)f->n_bin;
            double sum = 0;
            for (int i = 0; i < f->n_bin; i++)
                sum += f->curvature[i] * j[i] * other[i];
            h[k * n + l] = h[l * n + k] = sum;
        }
    }
}

/* d[n]: the damped step over the parameters that may move (held[k] = 0); 0 without a solution. */
static inline int xray_step(double *d, const double *g, const double *h, const int *held, double lambda, int n) {
    double a[XRAY_MAX_FREE * XRAY_MAX_FREE];
    double b[XRAY_MAX_FREE];
    double x[XRAY_MAX_FREE];
    int at[XRAY_MAX_FREE];
    int m = 0;
    for (int k = 0; k < n; k++) {
        d[k] = 0;
        if (!held[k] && h[k * n + k] > 0) at[m++] = k;
    }
    for (int i = 0; i < m; i++) {
        b[i] = -g[at[i]];
        for (int k = 0; k < m; k++)
            a[i * m + k] = h[at[i] * n + at[k]];
        a[i * m + i] *= 1 + lambda;
    }
    if (!m || !xray_cholesky(a, m)) return 0;
    xray_solve(x, a, b, m);
    for (int i = 0; i < m; i++)
        d[at[i]] = x[i];
    return 1;
}

/* The step from u that stays in the cube: what stands at an edge and would leave it is held, and the others solved for
   again. Cutting such a step off instead can leave it going uphill. */
static inline int xray_step_inside(double *d, const double *u, const double *g, const double *h, const int *held,
                                   double lambda, int n) {
    int stays[XRAY_MAX_FREE];
    int again = 1;
    memcpy(stays, held, (size_t)n * sizeof *stays);
    while (again) {
        again = 0;
        if (!xray_step(d, g, h, stays, lambda, n)) return 0;
        for (int k = 0; k < n; k++)
            if ((u[k] <= 0 && d[k] < 0) || (u[k] >= 1 && d[k] > 0)) again = stays[k] = 1;
    }
    return 1;
}

/* Covariance of u and errors of theta at the best point, over the parameters that are not held. */
static inline void xray_errors(xray_best *best, const xray_fitter *f, const double *h, const int *held) {
    double unit[XRAY_MAX_FREE];
    double column[XRAY_MAX_FREE];
    double up[XRAY_MAX_FREE];
    double down[XRAY_MAX_FREE];
    double move[XRAY_MAX_FREE];
    int n = f->n_free;
    memset(best->covariance, 0, sizeof best->covariance);
    for (int k = 0; k < n; k++) {
        for (int i = 0; i < n; i++)
            unit[i] = i == k ? -2 : 0; /* the sign that xray_step turns */
        if (held[k] || !xray_step(column, unit, h, held, 1e-12, n)) continue;
        for (int i = 0; i < n; i++)
            best->covariance[i * n + k] = column[i];
    }
    for (int k = 0; k < n; k++) {
        double s = sqrt(fmax(best->covariance[k * n + k], 0));
        memcpy(move, best->u, (size_t)n * sizeof *move);
        move[k] = best->u[k] + 1e-4;
        xray_from_cube(up, f, move);
        move[k] = best->u[k] - 1e-4;
        xray_from_cube(down, f, move);
        best->sigma[k] = s * (up[k] - down[k]) / 2e-4;
    }
}

/* Climbs down from u[n_free]; parameters with fixed[k] stay (NULL: none). */
static inline void xray_fit(xray_best *best, xray_fitter *f, const double *u, const int *fixed) {
    double g[XRAY_MAX_FREE];
    double h[XRAY_MAX_FREE * XRAY_MAX_FREE];
    double d[XRAY_MAX_FREE];
    double trial[XRAY_MAX_FREE];
    double lambda = 1e-2;
    int held[XRAY_MAX_FREE] = {0};
    int n = f->n_free;
    int calm = 0;
    memset(best, 0, sizeof *best);
    memcpy(best->u, u, (size_t)n * sizeof *u);
    xray_from_cube(best->theta, f, best->u);
    xray_counts(f->model, f, best->theta);
    best->statistic = xray_compare(NULL, NULL, f, f->model);
    for (int iteration = 0; iteration < 200 && isfinite(best->statistic); iteration++) {
        int better = 0;
        xray_derivatives(g, h, f, best->u);
        for (int k = 0; k < n; k++)
            held[k] = (fixed && fixed[k]) || (best->u[k] <= 0 && g[k] > 0) || (best->u[k] >= 1 && g[k] < 0);
        while (!better && lambda < 1e12) {
            double gain = 0;
            double theta[XRAY_MAX_FREE];
            if (!xray_step_inside(d, best->u, g, h, held, lambda, n)) break;
            for (int k = 0; k < n; k++) {
                double at = best->u[k] + d[k];
                trial[k] = at > 0 ? (at < 1 ? at : 1) : 0;
                gain -= 0.5 * g[k] * (trial[k] - best->u[k]);
            }
            xray_from_cube(theta, f, trial);
            double s = xray_evaluate(f, theta);
            if (s <= best->statistic) {
                calm = best->statistic - s < 1e-6 && gain < 1e-4 ? calm + 1 : 0;
                better = 1;
                best->statistic = s;
                memcpy(best->u, trial, (size_t)n * sizeof *trial);
                memcpy(f->model, f->moved, (size_t)f->n_bin * sizeof *f->model);
                lambda = fmax(lambda / 10, 1e-12);
            } else if (fabs(gain) < 1e-7) { /* nothing to win that rounding would not hide */
                calm = 2;
                break;
            } else {
                lambda *= 8;
            }
        }
        if (!better || calm >= 2) break;
    }
    xray_from_cube(best->theta, f, best->u);
    best->converged = calm > 0;
    xray_errors(best, f, h, held);
}

/* The best of n fits: from the middle of the cube, and from random places. */
static inline void xray_fit_starts(xray_best *best, xray_fitter *f, int n_starts, uint64_t seed) {
    double u[XRAY_MAX_FREE] = {0};
    double *ends = xray_alloc((size_t)n_starts, sizeof *ends);
    memset(best, 0, sizeof *best);
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, seed, 7);
    for (int s = 0; s < n_starts; s++) {
        for (int k = 0; k < f->n_free; k++)
            u[k] = s == 0 ? 0.5 : bml_mcmc_rng_uniform(&rng);
        xray_best one;
        xray_fit(&one, f, u, NULL);
        if (ends) ends[s] = one.statistic;
        if (s == 0 || one.statistic < best->statistic) *best = one;
    }
    best->agree = 0;
    for (int s = 0; ends && s < n_starts; s++)
        best->agree += ends[s] <= best->statistic + 0.1;
    free(ends);
}

/* ==== intervals =================================================================================================== */

/* The best statistic with u_k held at `at`; start[n_free] is where the search begins, and ends. */
static inline double xray_profile(xray_fitter *f, double *start, int k, double at) {
    int fixed[XRAY_MAX_FREE] = {0};
    fixed[k] = 1;
    start[k] = at;
    xray_best one;
    xray_fit(&one, f, start, fixed);
    memcpy(start, one.u, (size_t)f->n_free * sizeof *start);
    return one.statistic;
}

/* One end of the interval, in u; sign -1 or 1. Returns 1 where it is found, 0 where the prior's edge comes first, and
   -1 where a place better than `best` turned up by more than 0.01: start again from there (start[n_free]). */
static inline int xray_interval_end(double *end, double *start, xray_fitter *f, const xray_best *best, int k,
                                    double delta, int sign) {
    double sigma = sqrt(fmax(best->covariance[k * f->n_free + k], 0));
    double near = best->u[k];
    double rise_near = 0;
    double rise_far = 0;
    double edge = sign > 0 ? 1 : 0;
    double step = sigma > 0 ? sigma * sqrt(delta) : 0.01;
    memcpy(start, best->u, (size_t)f->n_free * sizeof *start);
    double far = near;
    for (int i = 0; rise_far < delta; i++) {
        if (far == edge) {
            *end = edge;
            return 0;
        }
        near = far;
        rise_near = rise_far;
        far = near + sign * step;
        if (i > 0) step *= 1.6;
        if ((far - edge) * sign > 0 || i > 60) far = edge;
        rise_far = xray_profile(f, start, k, far) - best->statistic;
        if (rise_far < -0.01) return -1;
    }
    for (int i = 0; i < 40 && fabs(rise_far - rise_near) > 1e-3 * delta && fabs(far - near) > 1e-9; i++) {
        double a = sqrt(fmax(rise_near, 0));
        double b = sqrt(fmax(rise_far, 0));
        double t = (sqrt(delta) - a) / (b - a);
        t = i % 3 == 2 ? 0.5 : fmin(fmax(t, 0.02), 0.98); /* sqrt(rise) is nearly straight; halve now and then */
        double at = near + t * (far - near);
        double rise = xray_profile(f, start, k, at) - best->statistic;
        if (rise < -0.01) return -1;
        if (fabs(rise - delta) < 1e-3 * delta) {
            *end = at;
            return 1;
        }
        if (rise < delta) {
            near = at;
            rise_near = rise;
        } else {
            far = at;
            rise_far = rise;
        }
    }
    *end = 0.5 * (near + far);
    return 1;
}

/* lo and hi of free parameter k where the statistic, best over all others, rises by delta: 1 is 68.3 %, 2.706 is 90 %
   (Wilks; Cash 1979). An end that lies outside the parameter's range is that of the range. A better place that turns up
   on the way replaces *best: then returns 1, and earlier intervals are to be done again. Otherwise 0. */
static inline int xray_interval(double *lo, double *hi, xray_fitter *f, xray_best *best, int k, double delta) {
    double start[XRAY_MAX_FREE];
    double end[2] = {0, 1};
    double u[XRAY_MAX_FREE];
    double theta[XRAY_MAX_FREE] = {0};
    for (int side = 0; side < 2; side++)
        if (xray_interval_end(&end[side], start, f, best, k, delta, side ? 1 : -1) < 0) {
            int agree = best->agree;
            xray_fit(best, f, start, NULL);
            best->agree = agree;
            *lo = *hi = best->theta[k];
            return 1;
        }
    memcpy(u, best->u, sizeof u);
    u[k] = end[0];
    xray_from_cube(theta, f, u);
    *lo = theta[k];
    u[k] = end[1];
    xray_from_cube(theta, f, u);
    *hi = theta[k];
    return 0;
}

/* mean[n_bin] of all counts in the spectra, background[n_bin] of those in the background spectra, by the best model. */
static inline void xray_goodness_means(double *mean, double *background, xray_fitter *f, const xray_best *best) {
    xray_counts(mean, f, best->theta);
    for (int i = 0; i < f->p->n_data; i++) {
        const xray_data *d = &f->p->data[i];
        for (int b = 0; b < d->n; b++, mean++, background++) {
            double back = d->background ? d->ratio[b] * d->background[b] : 0;
            if (f->p->kind == XRAY_W) xray_w(&back, d->counts[b], d->background[b], d->ratio[b], *mean);
            *background = d->background ? back / d->ratio[b] : 0;
            if (f->p->kind != XRAY_C) *mean += back;
        }
    }
}

/* Share of n simulations, drawn for the best model and fitted again from there, whose statistic is below the data's: a
   good fit has 0.02 to 0.98. Background spectra are drawn too; chi2 keeps the data's errors. NaN without memory. */
static inline double xray_goodness(xray_fitter *f, const xray_best *best, int n, uint64_t seed) {
    size_t bins = (size_t)f->n_bin;
    double *mean = xray_alloc(bins, 4 * sizeof *mean);
    double *background = mean ? mean + bins : NULL;
    int below = 0;
    if (!mean) return (double)NAN;
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, seed, 8);
    xray_goodness_means(mean, background, f, best);
    for (int s = 0; s < n; s++) {
        f->fake = background + bins;
        f->fake_background = f->fake + bins;
        xray_fake(f->fake, mean, f->n_bin, &rng);
        xray_fake(f->fake_background, background, f->n_bin, &rng);
        xray_best one;
        xray_fit(&one, f, best->u, NULL);
        f->fake = f->fake_background = NULL;
        below += one.statistic < best->statistic;
    }
    free(mean);
    return (double)below / n;
}
#endif
