/* blazar_inputs.h: what the classifiers of classify_blazar see of a spectral energy distribution: fluxes on a grid of
   frequencies, or the points themselves. Public domain or MIT, see LICENSE. */
#ifndef BLAZAR_INPUTS_H
#define BLAZAR_INPUTS_H
#include "blazar_seds.h"

/* ==== grids of frequencies ======================================================================================== */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A grid of bins: edges[n + 1] in log10 Hz, rising. */
typedef struct grid {
    double *edge;
    int n;
} grid;

/* Edge k of bins around nu[m]: halfway between two, or just beyond the first or last. */
static double between(const double *nu, int k, int m) {
    if (k == 0) {
        return nu[0] - 5e-4;
    }
    if (k == m) {
        return nu[m - 1] + 5e-4;
    }
    return 0.5 * (nu[k - 1] + nu[k]);
}

/* n equal bins; for n = 0 one around each frequency that occurs in the data (to 0.001 dex). */
static void make_grid(grid *g, const sed_set *set, int n) {
    double *nu = zeroed((ptrdiff_t)set->n_points + 1, sizeof *nu);
    int m = 0;
    for (size_t i = 0; i < set->n_points && !n; i++) {
        nu[i] = set->point[i].nu;
    }
    if (!n) {
        qsort(nu, set->n_points, sizeof *nu, by_value);
    }
    for (size_t i = 0; i < set->n_points && !n; i++) {
        if (!m || nu[i] - nu[m - 1] > 1e-3) {
            nu[m++] = nu[i];
        }
    }
    g->n = n ? n : m;
    g->edge = zeroed(g->n + 1, sizeof *g->edge);
    for (int k = 0; k <= g->n; k++) {
        if (n) {
            g->edge[k] = LOWEST_NU + (HIGHEST_NU - LOWEST_NU) * k / n;
        } else {
            g->edge[k] = between(nu, k, m);
        }
    }
    free(nu);
}

/* Bin of a frequency, or -1. */
static int bin_of(const grid *g, double nu) {
    int lo = 0;
    int hi = g->n;
    if (!(nu >= g->edge[0] && nu <= g->edge[g->n])) {
        return -1;
    }
    while (hi - lo > 1) {
        int mid = (lo + hi) / 2;
        if (nu >= g->edge[mid]) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* value[g->n]: highest, mean or lowest log10 flux of the detections in each bin, NaN where there are none.
   count[g->n] is scratch. */
static void grid_sed(double *value, int *count, const grid *g, const sed_set *set, const sed *s, int how) {
    int b;
    for (b = 0; b < g->n; b++) {
        value[b] = (double)NAN;
        count[b] = 0;
    }
    for (int k = 0; k < s->n; k++) {
        const point *p = &set->point[s->first + (size_t)k];
        double f = p->flux;
        b = bin_of(g, p->nu);
        if (b < 0 || p->limit) {
            continue;
        }
        if (!count[b]++) {
            value[b] = f;
        } else if (how == HIGHEST) {
            value[b] = fmax(value[b], f);
        } else if (how == LOWEST) {
            value[b] = fmin(value[b], f);
        } else {
            value[b] += (f - value[b]) / count[b];
        }
    }
}

enum { SMALL_BINS = 206 };
enum { SMALL_CHANNELS = 3 };
enum { N_POINTS = 64 };
enum { POINT_FEATURES = 13 };

/* Everything that the classifiers share. */
typedef struct world {
    const settings *s;
    const sed_set *set;
    const bml_classify_data *table; /* features of a few bands, for radio, forest and stack */
    grid fine;                      /* of the published net */
    grid coarse;                    /* of the small one */
    int *judge;                     /* rows without a label */
    int n_judge;
} world;

static void make_world(world *w, const settings *s, const sed_set *set, const bml_classify_data *table) {
    memset(w, 0, sizeof *w);
    w->s = s;
    w->set = set;
    w->table = table;
    make_grid(&w->fine, set, (int)s->bins);
    make_grid(&w->coarse, set, SMALL_BINS);
    w->judge = zeroed(set->n, sizeof *w->judge);
    for (int i = 0; i < set->n; i++) {
        if (set->sed[i].label < 0) {
            w->judge[w->n_judge++] = i;
        }
    }
}

static void free_world(world *w) {
    free(w->judge);
    free(w->fine.edge);
    free(w->coarse.edge);
}

static const grid *grid_of(const world *w, int net) {
    return net == PUBLISHED ? &w->fine : &w->coarse;
}

/* ==== inputs of the networks ========================================================================================
   published  [bins of `fine`]              the flux, 0 where there is none
   small      [SMALL_BINS][SMALL_CHANNELS]  whether measured, the flux, the lowest upper limit
   points     [N_POINTS][POINT_FEATURES]    is a point, frequency, flux, error, is a limit, waves of the frequency */

/* Fluxes to numbers: 10^-19 to 10^-8 erg cm^-2 s^-1 is 0.01 to 1, fixed, so that nothing is learned from test rows. */
static double rescaled(double flux) {
    return fmin(fmax((flux + 19) / 11, 0.01), 1);
}

/* x of one source for the small or the published net. */
static void grid_input(float *x, double *value, int *count, int net, const world *w, const sed_set *set, const sed *s) {
    const grid *g = grid_of(w, net);
    grid_sed(value, count, g, set, s, w->s->value);
    int b;
    for (b = 0; b < g->n; b++) {
        int seen = isfinite(value[b]);
        if (net == PUBLISHED) {
            x[b] = seen ? (float)rescaled(value[b]) : 0.0f;
        } else {
            x[3 * b] = (float)seen;
            x[3 * b + 1] = seen ? (float)(4 * rescaled(value[b]) - 2) : 0.0f;
            x[3 * b + 2] = 0;
        }
    }
    for (int k = 0; k < s->n && net == SMALL; k++) {
        const point *p = &set->point[s->first + (size_t)k];
        float limit = (float)(4 * rescaled(p->flux) - 2);
        b = bin_of(g, p->nu);
        if (p->limit && b >= 0 && !(x[3 * b + 2] != 0 && x[3 * b + 2] < limit)) {
            x[3 * b + 2] = limit;
        }
    }
}

/* x[N_POINTS][POINT_FEATURES] of one source; of more points than that, a random part. */
static void point_input(float *x, const sed_set *set, const sed *s, bml_classify_rng *r) {
    int n = 0;
    memset(x, 0, sizeof(float) * N_POINTS * POINT_FEATURES);
    for (int k = 0; k < s->n && n < N_POINTS; k++) {
        const point *p = &set->point[s->first + (size_t)k];
        double u = (p->nu - LOWEST_NU) / 20.6;
        if (s->n > N_POINTS && uniform(r, 0, 1) * (s->n - k) > N_POINTS - n) {
            continue;
        }
        x[0] = 1;
        x[1] = (float)(2 * u - 1);
        x[2] = (float)(4 * rescaled(p->flux) - 2);
        x[3] = (float)(10 * p->error);
        x[4] = (float)p->limit;
        for (int j = 0; j < 4; j++) {
            x[5 + 2 * j] = sinf((float)(u * 3.1416 * (2 << j)));
            x[6 + 2 * j] = cosf((float)(u * 3.1416 * (2 << j)));
        }
        x += POINT_FEATURES;
        n++;
    }
}

/* The one source of `to` becomes another, its fluxes drawn again from their errors. */
static void draw_again(sed_set *to, const sed_set *set, const sed *from, bml_classify_rng *r) {
    to->n = 0;
    to->n_points = 0;
    add_sed(to, from->name, from->label);
    for (int k = 0; k < from->n; k++) {
        const point *p = &set->point[from->first + (size_t)k];
        add_point(to, p->nu, p->error > 0 ? normal(r, p->flux, p->error) : p->flux, p->error, p->limit);
    }
}

/* x[n_rows][n_in] of sources row[n_rows], as they are (draw = 0), or as --noise has them in epoch number `draw`. */
static void make_inputs(float *x, ptrdiff_t n_in, int net, const world *w, const int *row, int n_rows, uint64_t draw) {
    int bins = grid_of(w, net)->n;
    double *value = zeroed(bins, sizeof *value);
    int *count = zeroed(bins, sizeof *count);
    sed_set again;
    memset(&again, 0, sizeof again);
    for (int i = 0; i < n_rows; i++, x += n_in) {
        const sed_set *of = draw ? &again : w->set;
        const sed *one = &w->set->sed[row[i]];
        bml_classify_rng r;
        bml_classify_rng_init(&r, w->s->seed, ((uint64_t)1 << 41) + ((uint64_t)row[i] << 16) + draw);
        if (draw) {
            draw_again(&again, w->set, one, &r);
            one = again.sed;
        }
        if (net == POINTS) {
            point_input(x, of, one, &r);
        } else {
            grid_input(x, value, count, net, w, of, one);
        }
    }
    free_set(&again);
    free(value);
    free(count);
}
#endif
