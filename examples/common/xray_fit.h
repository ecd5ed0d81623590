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
   H also gives the errors: statistic = -2 ln L, so that the covariance is 2 H^-1. Parameters that only a combination
   measures have none: xray_best.state names them, as it does those at a limit.
   When NOT to use it: for a posterior; where two parameters are exchangeable (a model with two power laws has two equal
   minima; xray_exchangeable notices). Each thread needs a fitter of its own. Public domain or MIT, see LICENSE. */
#ifndef XRAY_FIT_H
#define XRAY_FIT_H
#include "xray.h"

enum { XRAY_MAX_DATA = 16, XRAY_MAX_ALL = 96, XRAY_MAX_FREE = 32 };

typedef struct xray_parameter {
    char name[XRAY_NAME + 16]; /* powerlaw.norm, or powerlaw.norm@2 for what belongs to the second spectrum alone */
    const char *unit;
    double value;    /* where it is fixed */
    double lo, hi;   /* where it is free */
    double from, to; /* where a search begins; cut to lo ... hi */
    int log, free;
    int coarse;     /* see xray_par */
    int by_default; /* fixed because nobody asked for it to be free */
    int model_par;  /* its number in the model */
} xray_parameter;

typedef struct xray_problem {
    xray_model model, dark;                /* dark: of background spectra, unless its n_part is 0 */
    const double *ratio_of[XRAY_MAX_DATA]; /* [n] source over background, of spectra whose background is modelled */
    int dark_of[XRAY_MAX_DATA];            /* and where among the data that background is; is_dark: it is one */
    int is_dark[XRAY_MAX_DATA];
    xray_data *data; /* [n_data], the caller's */
    int n_data, kind, n_all;
    xray_parameter par[XRAY_MAX_ALL];
    int at[XRAY_MAX_DATA][XRAY_MAX_PAR]; /* parameter of each spectrum's model -> par */
} xray_problem;

/* The statistic of one spectrum: C becomes W where there is a background. */
static inline int xray_kind_of(const xray_data *d, int kind) {
    if (d->point) {
        return XRAY_FLUX;
    }
    return kind == XRAY_C && d->background ? XRAY_W : kind;
}

/* Parameters free, in the ranges of their components, the same for all spectra; redshifts, pivots and constants fixed.
   kind: XRAY_C (W for spectra with a background), XRAY_W (refused without), XRAY_CHI2. */
static inline int xray_problem_init(xray_problem *p, const xray_model *m, xray_data *data, int n_data, int kind,
                                    char *err) {
    memset(p, 0, sizeof *p);
    if (n_data < 1 || n_data > XRAY_MAX_DATA) {
        return error_set(err, "%d spectra: 1 to %d are possible", n_data, (int)XRAY_MAX_DATA);
    }
    for (int i = 0; i < n_data; i++) {
        if (data[i].point) {
            continue;
        }
        if (kind == XRAY_W && !data[i].background) {
            return error_set(err, "%.300s: the W statistic needs a background spectrum", data[i].name);
        }
        if (kind != XRAY_CHI2 && !data[i].exact) {
            return error_set(err, "%.300s: holds rates or net counts, not counts: only chi2 can be used", data[i].name);
        }
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
        q->from = m->par[k].from;
        q->to = m->par[k].to;
        q->log = m->par[k].log;
        q->coarse = m->par[k].coarse;
        q->value = m->par[k].fixed ? m->par[k].value : q->log ? sqrt(q->from * q->to) : 0.5 * (q->from + q->to);
        q->free = !m->par[k].fixed;
        q->by_default = m->par[k].fixed;
        q->model_par = k;
        for (int i = 0; i < n_data; i++)
            p->at[i][k] = k;
    }
    return 0;
}

/* The model of spectrum i. */
static inline const xray_model *xray_model_of(const xray_problem *p, int i) {
    return p->is_dark[i] ? &p->dark : &p->model;
}

/* Makes data[to] the background of data[i], modelled by p->dark instead of eliminated: its counts over the bins
   of the source, in the source's response. d->background is taken away from the source. To be called after
   xray_problem_init for all data; data[to] is the caller's to free. */
static inline int xray_problem_dark(xray_problem *p, int i, const xray_model *dark, char *err) {
    xray_data *source = &p->data[i];
    int to = p->n_data;
    if (!source->background) {
        return error_set(err, "%.300s: has no background to be modelled", source->name);
    }
    if (to == XRAY_MAX_DATA) {
        return error_set(err, "more than %d spectra with their backgrounds", (int)XRAY_MAX_DATA);
    }
    if (p->n_all + dark->n_par > XRAY_MAX_ALL) {
        return error_set(err, "more than %d parameters", (int)XRAY_MAX_ALL);
    }
    xray_data *d = &p->data[to];
    *d = *source; /* shares all but the counts */
    d->counts = source->background;
    d->background = NULL;
    p->dark = *dark;
    p->is_dark[to] = 1;
    p->dark_of[i] = to;
    p->ratio_of[i] = source->ratio;
    source->background = NULL;
    for (int k = 0; k < dark->n_par; k++) {
        xray_parameter *q = &p->par[p->n_all];
        const xray_par *from = &dark->par[k];
        memset(q, 0, sizeof *q);
        char number[16] = "";
        if (i) {
            snprintf(number, sizeof number, "@%d", i + 1);
        }
        snprintf(q->name, sizeof q->name, "back.%.28s%.6s", from->name, number);
        q->unit = from->unit;
        q->lo = from->lo;
        q->hi = from->hi;
        q->from = from->from;
        q->to = from->to;
        q->log = from->log;
        q->coarse = from->coarse;
        q->value = from->fixed ? from->value : 0.5 * (from->from + from->to);
        q->free = !from->fixed;
        q->by_default = from->fixed;
        p->at[to][k] = p->n_all++;
    }
    p->n_data++;
    return 0;
}

/* Gives every spectrum but the first its own value of model parameter k. */
static inline int xray_problem_untie(xray_problem *p, int k, char *err) {
    for (int i = 1; i < p->n_data; i++) {
        if (p->n_all == XRAY_MAX_ALL) {
            return error_set(err, "more than %d parameters", (int)XRAY_MAX_ALL);
        }
        char name[XRAY_NAME + 16];
        snprintf(name, sizeof name, "%.31s@%d", p->par[k].name, i + 1);
        p->par[p->n_all] = p->par[k];
        memcpy(p->par[p->n_all].name, name, sizeof name);
        p->par[p->n_all].free = 1; /* a constant of the first spectrum is 1, those of others are found */
        p->par[p->n_all].by_default = 0;
        p->at[i][k] = p->n_all++;
    }
    return 0;
}

/* Number of a parameter by its whole or short name ("norm@2" too); -1: none, -2: several. */
static inline int xray_problem_find(const xray_problem *p, const char *name) {
    int found = -1;
    for (int i = 0; i < p->n_all; i++) {
        const char *dot = strchr(p->par[i].name, '.');
        if (!strcmp(p->par[i].name, name)) {
            return i;
        }
        if (dot && !strcmp(dot + 1, name)) {
            found = found == -1 ? i : -2;
        }
    }
    return found;
}

/* Do two components of one kind play the same part, so that exchanging their parameters changes nothing? Their names
   into pair[2 XRAY_NAME]. Asked of the model's photons at three points, on a few bins. */
static inline int xray_exchangeable(char *pair, const xray_model *m) {
    static const double edge[] = {0.3, 0.5, 0.8, 1.3, 2, 3.2, 5, 8, 12};
    enum { BINS = 8 };
    char err[ERROR_SIZE];
    double flux[2][BINS];
    double par[2][XRAY_MAX_PAR];
    int found = 0;
    xray_absorption ism;
    xray_grid g;
    if (xray_absorption_builtin(&ism, XRAY_WILM, err)) {
        return 0;
    }
    double *scratch = xray_alloc(BINS, (4 + (size_t)m->depth) * sizeof *scratch);
    int ready = scratch && !xray_grid_make(&g, edge, BINS, &ism, err);
    for (int a = 0; ready && a < m->n_part && !found; a++)
        for (int b = a + 1; b < m->n_part && !found; b++) {
            int same = m->part[a].kind == m->part[b].kind;
            int n = xray_part_n_par(m, a);
            bml_mcmc_rng rng;
            bml_mcmc_rng_init(&rng, 1, 1);
            for (int round = 0; round < 3 && same; round++) {
                for (int k = 0; k < m->n_par; k++) {
                    double u = 0.3 + 0.4 * bml_mcmc_rng_uniform(&rng);
                    const xray_par *q = &m->par[k];
                    par[0][k] = q->fixed ? q->value
                                : q->log ? q->from * pow(q->to / q->from, u)
                                         : q->from + u * (q->to - q->from);
                }
                memcpy(par[1], par[0], sizeof par[0]);
                for (int k = 0; k < n; k++) {
                    par[1][m->part[a].first + k] = par[0][m->part[b].first + k];
                    par[1][m->part[b].first + k] = par[0][m->part[a].first + k];
                }
                for (int i = 0; i < 2; i++)
                    xray_model_eval(flux[i], m, &g, par[i], scratch);
                for (int i = 0; i < BINS; i++)
                    same &= fabs(flux[0][i] - flux[1][i]) <= 1e-10 * fabs(flux[0][i]);
            }
            if (!same || n < 2) {
                continue; /* two tbabs: tied, which the fit says */
            }
            found = 1;
            const char *one = m->par[m->part[a].first].name;
            const char *two = m->par[m->part[b].first].name;
            snprintf(pair, 2 * XRAY_NAME, "%.*s and %.*s", (int)strcspn(one, "."), one, (int)strcspn(two, "."), two);
        }
    if (ready) {
        xray_grid_free(&g);
    }
    free(scratch);
    xray_absorption_free(&ism);
    return found;
}

/* ==== a fitter: the problem with its scratch ====================================================================== */

struct xray_pull;

typedef struct xray_fitter {
    const xray_problem *p;
    xray_work *work;
    int n_free, n_bin;              /* n_bin: of all spectra together */
    int free_par[XRAY_MAX_FREE];    /* parameter of each free one */
    double *model, *moved;          /* [n_bin] counts */
    double *slope, *curvature;      /* [n_bin] */
    double *jacobian;               /* [n_free][n_bin] dM/du */
    double *fake, *fake_background; /* [n_bin] counts in the place of the data's; NULL: the data's */
    const struct xray_pull *pull;   /* a condition on the fit, or NULL */
    long evaluations;
} xray_fitter;

/* Pulls ln of a positive quantity, a flux, to a target: ((ln q - target)/width)^2 is added to the statistic. */
typedef struct xray_pull {
    double (*of)(xray_fitter *f, const double *theta, void *user);
    void *user;
    double target, width;
} xray_pull;

static inline void xray_fitter_free(xray_fitter *f) {
    if (!f) {
        return;
    }
    xray_work_free(f->work);
    free(f->model);
    free(f);
}

/* NULL without memory, or with more than XRAY_MAX_FREE free parameters. Which are free is read here, once. */
static inline xray_fitter *xray_fitter_make(const xray_problem *p) {
    xray_fitter *f = calloc(1, sizeof *f);
    if (!f) {
        return NULL;
    }
    f->p = p;
    for (int k = 0; k < p->n_all; k++) {
        if (!p->par[k].free) {
            continue;
        }
        if (f->n_free == XRAY_MAX_FREE) {
            free(f);
            return NULL;
        }
        f->free_par[f->n_free++] = k;
    }
    for (int i = 0; i < p->n_data; i++)
        f->n_bin += p->data[i].n;
    f->work = xray_work_make(p->dark.depth > p->model.depth ? &p->dark : &p->model, p->data, p->n_data);
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

/* A logarithmic range from 0 is one of ln(theta + scale), with a scale that nothing measured comes near: norms at a TeV
   are 1e-20 and less. */
static inline double xray_scale(const xray_parameter *q) {
    if (!(q->lo > 0) && q->hi > 1e20) {
        return 1e-40;
    }
    return q->lo > 0 ? q->lo : 1e-7 * (q->from > 0 ? q->from : q->hi);
}

static inline double xray_par_theta(const xray_parameter *q, double u) {
    double scale = xray_scale(q);
    if (!q->log) {
        return q->lo + u * (q->hi - q->lo);
    }
    return q->lo > 0 ? q->lo * exp(u * log(q->hi / q->lo)) : scale * expm1(u * log1p(q->hi / scale));
}

static inline double xray_par_u(const xray_parameter *q, double theta) {
    double scale = xray_scale(q);
    double at = (theta - q->lo) / (q->hi - q->lo);
    if (q->log) {
        at = q->lo > 0 ? log(theta / q->lo) / log(q->hi / q->lo) : log1p(theta / scale) / log1p(q->hi / scale);
    }
    return at > 0 ? (at < 1 ? at : 1) : 0;
}

/* d theta/d u */
static inline double xray_par_slope(const xray_parameter *q, double theta) {
    double scale = xray_scale(q);
    if (!q->log) {
        return q->hi - q->lo;
    }
    return q->lo > 0 ? theta * log(q->hi / q->lo) : (theta + scale) * log1p(q->hi / scale);
}

/* Where the search begins, in u: lo[n_free], and how wide that is. */
static inline void xray_search_range(double *lo, double *width, const xray_fitter *f) {
    for (int k = 0; k < f->n_free; k++) {
        const xray_parameter *q = &f->p->par[f->free_par[k]];
        double from = fmax(q->from, q->lo);
        double to = fmin(q->to, q->hi);
        lo[k] = from < to ? xray_par_u(q, from) : 0;
        width[k] = from < to ? xray_par_u(q, to) - lo[k] : 1;
    }
}

/* theta[n_free] from u[n_free] in the unit cube, and back. */
static inline void xray_from_cube(double *theta, const xray_fitter *f, const double *u) {
    for (int k = 0; k < f->n_free; k++)
        theta[k] = xray_par_theta(&f->p->par[f->free_par[k]], u[k]);
}

static inline void xray_to_cube(double *u, const xray_fitter *f, const double *theta) {
    for (int k = 0; k < f->n_free; k++)
        u[k] = xray_par_u(&f->p->par[f->free_par[k]], theta[k]);
}

/* The parameters of spectrum i's model from the free ones: full[model.n_par]. */
static inline void xray_expand(double *full, const xray_fitter *f, int i, const double *theta) {
    double all[XRAY_MAX_ALL];
    for (int k = 0; k < f->p->n_all; k++)
        all[k] = f->p->par[k].value;
    for (int k = 0; k < f->n_free; k++)
        all[f->free_par[k]] = theta[k];
    for (int k = 0; k < xray_model_of(f->p, i)->n_par; k++)
        full[k] = all[f->p->at[i][k]];
}

/* counts[n_bin] of all spectra, one after the other. */
static inline void xray_counts(double *counts, xray_fitter *f, const double *theta) {
    double full[XRAY_MAX_PAR];
    int from[XRAY_MAX_DATA];
    f->evaluations++;
    for (int i = 0, at = 0; i < f->p->n_data; at += f->p->data[i++].n) {
        from[i] = at;
        xray_expand(full, f, i, theta);
        xray_fold_model(counts + at, &f->p->data[i], xray_model_of(f->p, i), full, f->work);
    }
    for (int i = 0; i < f->p->n_data; i++) { /* the modelled background is in the source's spectrum, too */
        const double *ratio = f->p->ratio_of[i];
        const double *dark = ratio ? counts + from[f->p->dark_of[i]] : NULL;
        for (int b = 0; ratio && b < f->p->data[i].n; b++)
            counts[from[i] + b] += ratio[b] * dark[b];
    }
}

/* The statistic of model counts[n_bin]; slope and curvature as in xray_statistic. */
static inline double xray_compare(double *slope, double *curvature, const xray_fitter *f, const double *counts) {
    double sum = 0;
    int at = 0;
    for (int i = 0; i < f->p->n_data; at += f->p->data[i++].n) {
        xray_data d = f->p->data[i];
        if (f->fake) {
            d.counts = f->fake + at;
        }
        if (f->fake_background && d.background) {
            d.background = f->fake_background + at;
        }
        sum += xray_statistic(slope, curvature, &d, counts, xray_kind_of(&d, f->p->kind));
        counts += d.n;
        if (slope) {
            slope += d.n;
        }
        if (curvature) {
            curvature += d.n;
        }
    }
    return sum;
}

/* The statistic at theta[n_free], with the pull if there is one. */
static inline double xray_evaluate(xray_fitter *f, const double *theta) {
    xray_counts(f->moved, f, theta);
    double s = xray_compare(NULL, NULL, f, f->moved);
    if (!f->pull) {
        return s;
    }
    double off = (log(f->pull->of(f, theta, f->pull->user)) - f->pull->target) / f->pull->width;
    return off * off >= 0 ? s + off * off : (double)INFINITY;
}

/* ==== one fit ===================================================================================================== */

/* A parameter may be measured; stand at a limit of its range; have no effect on the counts; or be tied to others, so
   that only a combination of them is measured. */
enum { XRAY_FINE, XRAY_AT_LOW, XRAY_AT_HIGH, XRAY_NO_EFFECT, XRAY_TIED };

typedef struct xray_best {
    double statistic;
    double theta[XRAY_MAX_FREE], u[XRAY_MAX_FREE]; /* the parameters, and where they are in the cube */
    double sigma[XRAY_MAX_FREE];                   /* standard deviation of theta from H; NaN where it says nothing */
    int state[XRAY_MAX_FREE];                      /* XRAY_FINE, ... of each parameter */
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
            if (i > k) {
                a[i * n + k] = sum / a[k * n + k];
            } else if (sum > 0) {
                a[i * n + i] = sqrt(sum);
            } else {
                return 0;
            }
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

/* dM/du_k at u into j[n_bin], by a step h; central: from both sides, or f->model holds the counts at u. */
static inline void xray_column(double *j, xray_fitter *f, const double *u, int k, double h, int central) {
    double theta[XRAY_MAX_FREE];
    double moved[XRAY_MAX_FREE];
    memcpy(moved, u, (size_t)f->n_free * sizeof *u);
    moved[k] = u[k] + h;
    xray_from_cube(theta, f, moved);
    xray_counts(f->moved, f, theta);
    memcpy(j, f->moved, (size_t)f->n_bin * sizeof *j);
    if (central) {
        moved[k] = u[k] - h;
        xray_from_cube(theta, f, moved);
        xray_counts(f->moved, f, theta);
    }
    const double *base = central ? f->moved : f->model;
    for (int i = 0; i < f->n_bin; i++)
        j[i] = (j[i] - base[i]) / (central ? 2 * h : h);
}

/* ln of the flux's derivatives by u: slope[n_free]; returns the logarithm itself. The flux is that of f->pull. */
static inline double xray_pull_slope(double *slope, xray_fitter *f, const double *u) {
    double theta[XRAY_MAX_FREE];
    double moved[XRAY_MAX_FREE];
    double lo[XRAY_MAX_FREE];
    double width[XRAY_MAX_FREE];
    xray_search_range(lo, width, f);
    xray_from_cube(theta, f, u);
    double at = log(f->pull->of(f, theta, f->pull->user));
    memcpy(moved, u, (size_t)f->n_free * sizeof *u);
    for (int k = 0; k < f->n_free; k++) {
        double h = (f->p->par[f->free_par[k]].coarse ? 1e-3 : 1e-5) * width[k];
        if (u[k] + h > 1) {
            h = -h;
        }
        moved[k] = u[k] + h;
        xray_from_cube(theta, f, moved);
        moved[k] = u[k];
        slope[k] = (log(f->pull->of(f, theta, f->pull->user)) - at) / h;
    }
    return at;
}

/* Gradient g[n_free] and expected second derivative h[n_free][n_free] by u. f->model holds the counts at u. */
static inline void xray_derivatives(double *g, double *h, xray_fitter *f, const double *u, int central) {
    double lo[XRAY_MAX_FREE];
    double width[XRAY_MAX_FREE];
    double pull[XRAY_MAX_FREE];
    int n = f->n_free;
    xray_search_range(lo, width, f);
    xray_compare(f->slope, f->curvature, f, f->model);
    double off = f->pull ? xray_pull_slope(pull, f, u) - f->pull->target : 0;
    double stiff = f->pull ? 2 / (f->pull->width * f->pull->width) : 0;
    for (int k = 0; k < n; k++) {
        double *j = f->jacobian + (size_t)k * (size_t)f->n_bin;
        double fine = f->p->par[f->free_par[k]].coarse ? 1e-3 : 1e-5;
        double step = (central ? fmax(1e-4, fine) : fine) *
                      width[k]; /* rounding in M, 1e-14, and curvature: both far below needs */
        int inside = u[k] - step >= 0 && u[k] + step <= 1;
        xray_column(j, f, u, k, u[k] + step > 1 ? -step : step, central && inside);
        g[k] = f->pull ? stiff * off * pull[k] : 0;
        for (int i = 0; i < f->n_bin; i++)
            g[k] += f->slope[i] * j[i];
        for (int l = 0; l <= k; l++) {
            const double *other = f->jacobian + (size_t)l * (size_t)f->n_bin;
            double sum = f->pull ? stiff * pull[k] * pull[l] : 0;
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
        if (!held[k] && h[k * n + k] > 0) {
            at[m++] = k;
        }
    }
    for (int i = 0; i < m; i++) {
        b[i] = -g[at[i]];
        for (int k = 0; k < m; k++)
            a[i * m + k] = h[at[i] * n + at[k]];
        a[i * m + i] *= 1 + lambda;
    }
    if (!m || !xray_cholesky(a, m)) {
        return 0;
    }
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
        if (!xray_step(d, g, h, stays, lambda, n)) {
            return 0;
        }
        for (int k = 0; k < n; k++)
            if ((u[k] <= 0 && d[k] < 0) || (u[k] >= 1 && d[k] > 0)) {
                again = stays[k] = 1;
            }
    }
    return 1;
}

/* Smallest eigenvalue of the symmetric a[n][n], whose diagonal is 1, with its vector: Jacobi's rotations. a is lost. */
static inline double xray_weakest(double *vector, double *a, int n) {
    double v[XRAY_MAX_FREE * XRAY_MAX_FREE] = {0};
    int least = 0;
    for (int i = 0; i < n; i++)
        v[i * n + i] = 1;
    for (int sweep = 0; sweep < 30; sweep++)
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) {
                if (!(fabs(a[p * n + q]) > 1e-18)) {
                    continue;
                }
                double theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
                double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
                double c = 1 / sqrt(t * t + 1);
                double s = t * c;
                for (int i = 0; i < n; i++) {
                    double x = a[i * n + p];
                    a[i * n + p] = c * x - s * a[i * n + q];
                    a[i * n + q] = s * x + c * a[i * n + q];
                }
                for (int i = 0; i < n; i++) {
                    double x = a[p * n + i];
                    double y = v[i * n + p];
                    a[p * n + i] = c * x - s * a[q * n + i];
                    a[q * n + i] = s * x + c * a[q * n + i];
                    v[i * n + p] = c * y - s * v[i * n + q];
                    v[i * n + q] = s * y + c * v[i * n + q];
                }
            }
    for (int i = 1; i < n; i++)
        if (a[i * n + i] < a[least * n + least]) {
            least = i;
        }
    for (int i = 0; i < n; i++)
        vector[i] = v[i * n + least];
    return a[least * n + least];
}

/* Says of each parameter what the curvature says: best->state. Those of a null direction are named, and the strongest
   of them is held (held[n]) before the next direction is looked for: what is left has a covariance. A relative
   eigenvalue below 1e-8 is what is left of zero by differences. */
static inline void xray_states(xray_best *best, int *held, const double *h, const int *fixed, int n) {
    double a[XRAY_MAX_FREE * XRAY_MAX_FREE];
    double vector[XRAY_MAX_FREE];
    int at[XRAY_MAX_FREE];
    for (int k = 0; k < n; k++) {
        int end = best->u[k] < 1e-7 ? XRAY_AT_LOW : best->u[k] > 1 - 1e-7 ? XRAY_AT_HIGH : XRAY_FINE;
        int stays = fixed && fixed[k];
        best->state[k] = stays ? XRAY_FINE : end;
        if (!end && !(h[k * n + k] > 1e-10)) {
            best->state[k] = XRAY_NO_EFFECT;
        }
        held[k] = stays || best->state[k] != XRAY_FINE;
    }
    for (int round = 0; round < n; round++) {
        int m = 0;
        int strongest = 0;
        for (int k = 0; k < n; k++)
            if (!held[k]) {
                at[m++] = k;
            }
        for (int i = 0; i < m; i++)
            for (int k = 0; k < m; k++)
                a[i * m + k] = h[at[i] * n + at[k]] / sqrt(h[at[i] * n + at[i]] * h[at[k] * n + at[k]]);
        if (m < 2 || xray_weakest(vector, a, m) > 1e-8) {
            break;
        }
        for (int i = 0; i < m; i++) {
            if (fabs(vector[i]) > 0.03) {
                best->state[at[i]] = XRAY_TIED;
            }
            if (fabs(vector[i]) > fabs(vector[strongest])) {
                strongest = i;
            }
        }
        held[at[strongest]] = 1;
    }
}

/* Covariance of u and errors of theta at the best point, over the parameters that are measured. */
static inline void xray_errors(xray_best *best, xray_fitter *f, const int *fixed) {
    double g[XRAY_MAX_FREE];
    double h[XRAY_MAX_FREE * XRAY_MAX_FREE];
    double unit[XRAY_MAX_FREE];
    double column[XRAY_MAX_FREE];
    int held[XRAY_MAX_FREE];
    int n = f->n_free;
    xray_derivatives(g, h, f, best->u, 1);
    xray_states(best, held, h, fixed, n);
    memset(best->covariance, 0, sizeof best->covariance);
    for (int k = 0; k < n; k++) {
        for (int i = 0; i < n; i++)
            unit[i] = i == k ? -2 : 0; /* the sign that xray_step turns */
        if (held[k] || !xray_step(column, unit, h, held, 1e-12, n)) {
            continue;
        }
        for (int i = 0; i < n; i++)
            best->covariance[i * n + k] = column[i];
    }
    for (int k = 0; k < n; k++) {
        double variance = best->covariance[k * n + k];
        double slope = xray_par_slope(&f->p->par[f->free_par[k]], best->theta[k]);
        best->sigma[k] = variance > 0 && best->state[k] == XRAY_FINE ? sqrt(variance) * slope : (double)NAN;
    }
}

/* A step down from best->u; lambda is the damping, held says which parameters stay. Returns how calm it has become: 0
   not at all, 1 a small step, 2 nothing to win, -1 no step found. */
static inline int xray_descend(xray_best *best, xray_fitter *f, const double *g, const double *h, const int *held,
                               double *lambda) {
    double d[XRAY_MAX_FREE];
    double trial[XRAY_MAX_FREE];
    double theta[XRAY_MAX_FREE];
    int n = f->n_free;
    for (; *lambda < 1e12; *lambda *= 8) {
        double gain = 0;
        if (!xray_step_inside(d, best->u, g, h, held, *lambda, n)) {
            if (*lambda > 1e3) {
                return -1;
            }
            continue; /* a singular matrix needs more damping */
        }
        for (int k = 0; k < n; k++) {
            double at = best->u[k] + d[k];
            trial[k] = at > 0 ? (at < 1 ? at : 1) : 0;
            gain -= 0.5 * g[k] * (trial[k] - best->u[k]);
        }
        xray_from_cube(theta, f, trial);
        double s = xray_evaluate(f, theta);
        if (s <= best->statistic) {
            int calm = best->statistic - s < 1e-6 && gain < 1e-4;
            best->statistic = s;
            memcpy(best->u, trial, (size_t)n * sizeof *trial);
            memcpy(f->model, f->moved, (size_t)f->n_bin * sizeof *f->model);
            *lambda = fmax(*lambda / 10, 1e-12);
            return calm;
        }
        if (fabs(gain) < 1e-7) {
            return 2; /* nothing to win that rounding would not hide */
        }
    }
    return -1;
}

/* Climbs down from u[n_free]; parameters with fixed[k] stay (NULL: none). */
static inline void xray_climb(xray_best *best, xray_fitter *f, const double *u, const int *fixed) {
    double g[XRAY_MAX_FREE];
    double h[XRAY_MAX_FREE * XRAY_MAX_FREE];
    double lambda = 1e-2;
    int held[XRAY_MAX_FREE] = {0};
    int n = f->n_free;
    int calm = 0;
    memset(best, 0, sizeof *best);
    memcpy(best->u, u, (size_t)n * sizeof *u);
    xray_from_cube(best->theta, f, best->u);
    best->statistic = xray_evaluate(f, best->theta);
    memcpy(f->model, f->moved, (size_t)f->n_bin * sizeof *f->model);
    for (int iteration = 0; iteration < 200 && isfinite(best->statistic) && calm < 2; iteration++) {
        xray_derivatives(g, h, f, best->u, 0);
        for (int k = 0; k < n; k++)
            held[k] = (fixed && fixed[k]) || (best->u[k] <= 0 && g[k] > 0) || (best->u[k] >= 1 && g[k] < 0);
        int now = xray_descend(best, f, g, h, held, &lambda);
        if (now < 0) {
            break;
        }
        calm = now ? calm + now : 0;
    }
    xray_from_cube(best->theta, f, best->u);
    best->converged = calm > 0;
}

/* A norm or column in the logarithm never arrives at 0. Those that might as well be 0 are put there, and the rest
   fitted again. */
static inline void xray_try_zero(xray_best *best, xray_fitter *f, const int *fixed) {
    for (int k = 0; k < f->n_free; k++) {
        const xray_parameter *q = &f->p->par[f->free_par[k]];
        double theta[XRAY_MAX_FREE];
        double u[XRAY_MAX_FREE];
        int stay[XRAY_MAX_FREE] = {0};
        if (!q->log || q->lo > 0 || (fixed && fixed[k]) || best->u[k] <= 0) {
            continue;
        }
        memcpy(u, best->u, sizeof u);
        u[k] = 0;
        xray_from_cube(theta, f, u);
        if (!(xray_evaluate(f, theta) < best->statistic + 1)) {
            continue; /* far from it: keep the time */
        }
        if (fixed) {
            memcpy(stay, fixed, (size_t)f->n_free * sizeof *fixed);
        }
        stay[k] = 1;
        xray_best zero;
        xray_climb(&zero, f, u, stay);
        if (zero.statistic <= best->statistic + 1e-4) {
            *best = zero;
        }
    }
}

/* Climbs down from u[n_free]; parameters with fixed[k] stay (NULL: none). Errors and states are those at the end. */
static inline void xray_fit(xray_best *best, xray_fitter *f, const double *u, const int *fixed) {
    xray_climb(best, f, u, fixed);
    if (!isfinite(best->statistic)) {
        return;
    }
    if (!fixed) {
        xray_try_zero(best, f, fixed);
    }
    xray_counts(f->model, f, best->theta);
    if (!fixed) {
        xray_errors(best, f, fixed);
    }
}

/* Sum of counts[n_bin] over the spectra; over flux points where there is nothing else. NULL: of the data's own, less
   background. */
static inline double xray_total(const xray_fitter *f, const double *counts) {
    double sum = 0;
    int only_points = 1;
    for (int i = 0; i < f->p->n_data; i++)
        only_points &= f->p->data[i].point != NULL;
    for (int i = 0, at = 0; i < f->p->n_data; at += f->p->data[i++].n) {
        const xray_data *d = &f->p->data[i];
        if (d->point && !only_points) {
            continue;
        }
        for (int b = 0; b < d->n; b++)
            sum += counts ? counts[at + b] : d->counts[b] - (d->background ? d->ratio[b] * d->background[b] : 0);
    }
    return sum;
}

/* Norms brought to the counts: all that scale the model are multiplied by what makes its sum the data's. */
static inline void xray_renorm(double *u, xray_fitter *f) {
    double theta[XRAY_MAX_FREE];
    int norms = 0;
    xray_from_cube(theta, f, u);
    xray_counts(f->moved, f, theta);
    double sum = xray_total(f, f->moved);
    for (int k = 0; k < f->n_free; k++) {
        const char *dot = strchr(f->p->par[f->free_par[k]].name, '.');
        if (!dot || strncmp(dot, ".norm", 5)) {
            continue;
        }
        theta[k] = 0;
        norms++;
    }
    if (!norms) {
        return;
    }
    xray_counts(f->moved, f, theta);
    double rest = xray_total(f, f->moved);
    double data = xray_total(f, NULL);
    double factor = ((data > 0 ? data : 1) - rest) / (sum - rest);
    if (!(factor > 0 && factor < 1e300)) {
        return;
    }
    xray_from_cube(theta, f, u);
    for (int k = 0; k < f->n_free; k++) {
        const xray_parameter *q = &f->p->par[f->free_par[k]];
        const char *dot = strchr(q->name, '.');
        if (dot && !strncmp(dot, ".norm", 5)) {
            u[k] = xray_par_u(q, theta[k] * factor);
        }
    }
}

/* The best of n fits: from the middle of the search range, and from random places in it. */
static inline void xray_fit_starts(xray_best *best, xray_fitter *f, int n_starts, uint64_t seed) {
    double u[XRAY_MAX_FREE] = {0};
    double lo[XRAY_MAX_FREE];
    double width[XRAY_MAX_FREE];
    double *ends = xray_alloc((size_t)n_starts, sizeof *ends);
    memset(best, 0, sizeof *best);
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, seed, 7);
    xray_search_range(lo, width, f);
    for (int s = 0; s < n_starts; s++) {
        for (int k = 0; k < f->n_free; k++)
            u[k] = lo[k] + width[k] * (s == 0 ? 0.5 : bml_mcmc_rng_uniform(&rng));
        xray_renorm(u, f);
        xray_best one;
        xray_climb(&one, f, u, NULL);
        if (ends) {
            ends[s] = one.statistic;
        }
        if (s == 0 || one.statistic < best->statistic) {
            *best = one;
        }
    }
    memcpy(u, best->u, sizeof u);
    xray_fit(best, f, u, NULL);
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
    xray_climb(&one, f, start, fixed);
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
    double lo[XRAY_MAX_FREE];
    double width[XRAY_MAX_FREE];
    xray_search_range(lo, width, f);
    double step = sigma > 0 ? sigma * sqrt(delta) : 0.01 * width[k];
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
        if (i > 0) {
            step *= 1.6;
        }
        if ((far - edge) * sign > 0 || i > 60) {
            far = edge;
        }
        rise_far = xray_profile(f, start, k, far) - best->statistic;
        if (rise_far < -0.01) {
            return -1;
        }
    }
    for (int i = 0; i < 40 && fabs(rise_far - rise_near) > 1e-3 * delta && fabs(far - near) > 1e-9; i++) {
        double a = sqrt(fmax(rise_near, 0));
        double b = sqrt(fmax(rise_far, 0));
        double t = (sqrt(delta) - a) / (b - a);
        t = i % 3 == 2 ? 0.5 : fmin(fmax(t, 0.02), 0.98); /* sqrt(rise) is nearly straight; halve now and then */
        double at = near + t * (far - near);
        double rise = xray_profile(f, start, k, at) - best->statistic;
        if (rise < -0.01) {
            return -1;
        }
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
            if (xray_kind_of(d, f->p->kind) == XRAY_W) {
                xray_w(&back, d->counts[b], d->background[b], d->ratio[b], *mean);
            }
            *background = d->background ? back / d->ratio[b] : 0;
            *mean += back;
        }
    }
}

/* f->fake and f->fake_background drawn for mean[n_bin] and background[n_bin]. */
static inline void xray_fake_all(xray_fitter *f, const double *mean, const double *background, bml_mcmc_rng *rng) {
    double *to = f->fake;
    int points = 0;
    for (int i = 0; i < f->p->n_data; i++)
        points |= f->p->data[i].point != NULL;
    if (!points) {
        xray_fake(f->fake, mean, f->n_bin, rng);
    }
    for (int i = 0; i < f->p->n_data && points; i++) {
        const xray_data *d = &f->p->data[i];
        if (d->point) {
            xray_fake_points(to, mean, d, rng);
        } else {
            xray_fake(to, mean, d->n, rng);
        }
        to += d->n;
        mean += d->n;
    }
    xray_fake(f->fake_background, background, f->n_bin, rng);
}

/* Share of n simulations, drawn for the best model and fitted again from there, whose statistic is below the data's: a
   good fit has 0.02 to 0.98. *mean, *sd: of the simulations' statistics; one has no sd (NaN). Background spectra are
   drawn too; chi2 keeps the data's errors. NaN without memory. */
static inline double xray_goodness_of(double *mean_of, double *sd, xray_fitter *f, const xray_best *best, int n,
                                      uint64_t seed) {
    size_t bins = (size_t)f->n_bin;
    double *mean = xray_alloc(bins, 4 * sizeof *mean);
    double *background = mean ? mean + bins : NULL;
    double sum = 0;
    double square = 0;
    int below = 0;
    *mean_of = *sd = (double)NAN;
    if (!mean) {
        return (double)NAN;
    }
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, seed, 8);
    xray_goodness_means(mean, background, f, best);
    for (int s = 0; s < n; s++) {
        f->fake = background + bins;
        f->fake_background = f->fake + bins;
        xray_fake_all(f, mean, background, &rng);
        xray_best one;
        xray_climb(&one, f, best->u, NULL);
        f->fake = f->fake_background = NULL;
        below += one.statistic < best->statistic;
        sum += one.statistic / n;
        square += one.statistic * one.statistic / n;
    }
    free(mean);
    *mean_of = sum;
    double variance = fmax(square - sum * sum, 0) * n / (n - 1.0);
    *sd = n > 1 ? sqrt(variance) : (double)NAN;
    return (double)below / n;
}

static inline double xray_goodness(xray_fitter *f, const xray_best *best, int n, uint64_t seed) {
    double mean;
    double sd;
    return xray_goodness_of(&mean, &sd, f, best, n, seed);
}

/* ==== intervals of fluxes ========================================================================================= */

/* Follows the profile of ln q from the best fit to a rise of delta, one side; the pull's spring is stiff enough to lead
   and loose enough to be followed. Returns ln q there; +-infinity where the statistic never rises so far. */
static inline double xray_pull_end(xray_fitter *f, xray_pull *pull, const xray_best *best, double scale, double delta,
                                   int sign) {
    double at = log(pull->of(f, best->theta, pull->user));
    double near = at;
    double rise_near = 0;
    double step = scale;
    double u[XRAY_MAX_FREE];
    memcpy(u, best->u, sizeof u);
    f->pull = pull;
    for (int i = 0; i < 60; i++) {
        xray_best one;
        pull->target = near + sign * step;
        pull->width = 0.05 * step;
        xray_climb(&one, f, u, NULL);
        double far = log(pull->of(f, one.theta, pull->user));
        double spring = (far - pull->target) / pull->width;
        double rise = one.statistic - spring * spring - best->statistic;
        if (!isfinite(far) || !isfinite(rise) || fabs(far - near) < 1e-3 * step) {
            break;
        }
        if (rise < delta) {
            int close = delta - rise < 1e-2 * delta;
            double slope = (sqrt(fmax(rise, 0)) - sqrt(fmax(rise_near, 0))) / (sign * (far - near));
            near = far;
            rise_near = rise;
            memcpy(u, one.u, sizeof u);
            if (close) {
                break;
            }
            double want = (sqrt(delta) - sqrt(fmax(rise, 0))) / slope;
            step = want > 0 && want < 4 * step ? want : 2 * step;
            continue;
        }
        double a = sqrt(fmax(rise_near, 0));
        double t = (sqrt(delta) - a) / (sqrt(rise) - a);
        if (rise - delta < 1e-2 * delta) {
            near = far;
            rise_near = rise;
            break;
        }
        step = fmax(t, 0.05) * fabs(far - near);
    }
    f->pull = NULL;
    return rise_near > 0.5 * delta ? near : sign * (double)INFINITY;
}

/* lo and hi of a positive quantity of the parameters, as a flux, by its own profile: no parameter needs to be measured
   for that. scale: a guess of its relative error. */
static inline void xray_pull_interval(double *lo, double *hi, xray_fitter *f, xray_pull *pull, const xray_best *best,
                                      double scale, double delta) {
    *lo = exp(xray_pull_end(f, pull, best, scale, delta, -1));
    *hi = exp(xray_pull_end(f, pull, best, scale, delta, 1));
}
#endif
