/* draws.h: what is worked out at points of a finished posterior: spectra, derived quantities, the best point. Public
   domain or MIT, see LICENSE. */
#ifndef FIT_SED_DRAWS_H
#define FIT_SED_DRAWS_H
#include "samplers.h"

enum { N_NU = 191 };
enum { DRAWS_MAX = 3000 };
enum { STEPS_MIN = 20 };
enum {
    DERIVED_BALANCE,
    DERIVED_INJECTED,
    DERIVED_JET,
    DERIVED_NU_SYNCHROTRON,
    DERIVED_L_SYNCHROTRON,
    DERIVED_NU_COMPTON,
    DERIVED_L_COMPTON,
    DERIVED_DOMINANCE,
    DERIVED_T_VAR,
    DERIVED_U_EXTERNAL,
    N_DERIVED
};

static const struct derived {
    const char *name, *unit;
} derived_rows[N_DERIVED] = {
    {"log_Ue_over_UB", ""},         {"log_L_injected", "erg/s"},    {"log_P_jet", "erg/s"},
    {"log_nu_synchrotron", "Hz"},   {"log_L_synchrotron", "erg/s"}, {"log_nu_compton", "Hz"},
    {"log_L_compton", "erg/s"},     {"log_compton_dominance", ""},  {"log_t_var", "s"}, /* R (1 + z)/(delta c) */
    {"log_u_external", "erg/cm^3"}, /* of all fields, blob's frame */
};

/* Every thin-th step of the chain, solved again. */
typedef struct draws {
    long steps, walkers, thin, n; /* n = steps x walkers */
    double *theta;                /* [n][n_free] */
    double *derived;              /* [n][N_DERIVED] */
    double *flux;                 /* [N_NU][n] */
    double *data;                 /* [n][sed.n] at the points of the table */
    double *off;                  /* [n] ln likelihood, solver less network; 0 without a network */
} draws;

/* What a spectrum is made of. */
enum { PART_SYNCHROTRON, PART_COMPTON, PART_EXTERNAL, PART_DISC, PART_TORUS, PART_HOST, N_PARTS };
static const struct part {
    const char *name, *column;
    bml_ssc_component component; /* of the blob; TOTAL: it is of `shines` */
    int around;                  /* the fields or lights that it needs; 0: always there */
} parts[N_PARTS] = {{"synchrotron", "synchrotron", BML_SSC_SYNCHROTRON, 0},
                    {"self-Compton", "compton", BML_SSC_COMPTON, 0},
                    {"external Compton", "external", BML_SSC_EXTERNAL, AROUND_SCATTERED},
                    {"disc", "disc", BML_SSC_TOTAL, AROUND_DISC},
                    {"torus", "torus", BML_SSC_TOTAL, AROUND_TORUS},
                    {"host galaxy", "host", BML_SSC_TOTAL, AROUND_HOST}};

/* Whether a model has this part. */
static int has_part(const options *opt, int k) {
    const int of = parts[k].component == BML_SSC_TOTAL ? opt->shines : opt->fields;
    return !parts[k].around || (of & parts[k].around);
}

typedef struct best_point {
    double full[N_PAR], ln_p;
    double total[N_NU], component[N_PARTS][N_NU];
    double *data; /* [sed.n] */
} best_point;

static double log10_or_floor(double v) {
    return v > 1e-300 ? log10(v) : -300;
}

/* How many derived quantities a model has: the last is of the fields from outside. */
static int n_derived(const options *opt) {
    return opt->fields ? N_DERIVED : DERIVED_U_EXTERNAL;
}

/* A source that has been solved. */
typedef struct solved {
    const problem *p;
    const double *full; /* its parameters */
    const bml_ssc_blob *blob;
} solved;

/* Its spectrum at growing nu [N_NU]; where the table of the EBL has ended nothing is known, and the flux is 0. */
static int curve(double *flux, const double *nu, const solved *s, bml_ssc_component component) {
    const bml_ssc_observer o = observer_of(s->p, s->full);
    int n = N_NU;
    if (o.ebl) {
        const double end = o.ebl->log10_nu[o.ebl->n_nu - 1];
        while (n && log10(nu[n - 1]) > end)
            flux[--n] = 0;
    }
    return seen(flux, nu, n, s->p, s->full, s->blob, component);
}

/* One part of the spectrum. */
static void part_curve(double *flux, const double *nu, const solved *s, int k) {
    const struct part *part = &parts[k];
    memset(flux, 0, N_NU * sizeof *flux);
    if (!has_part(s->p->opt, k)) return;
    if (part->component != BML_SSC_TOTAL) {
        curve(flux, nu, s, part->component);
        return;
    }
    const surroundings around = surroundings_of(s->p, s->full);
    const bml_ssc_observer o = observer_of(s->p, s->full);
    surroundings_add(flux, nu, N_NU, &around, part->around, &o, NULL);
}

/* data [sed.n]: the fluxes of the points. */
static int at_points(double *data, const solved *s) {
    return seen(data, s->p->nu, s->p->sed.n, s->p, s->full, s->blob, BML_SSC_TOTAL);
}

static void no_data(double *data, const problem *p) {
    memset(data, 0, (size_t)p->sed.n * sizeof *data);
}

/* ln likelihood of a solved source's fluxes at theta, less the network's, whose ln posterior is ln_p. */
static double net_off(const solved *s, const double *data, const double *theta, double ln_p) {
    const problem *p = s->p;
    net_desk *desk = &p->desk[thread_number()];
    const bml_ssc_point *point = net_points(p, desk, s->full);
    const double *ln_f = s->full + LN_F;
    double sum = 0;
    for (int i = 0; i < p->sed.n; i++) {
        const double scatter = ln_f[p->group[i]];
        double one;
        if (bml_ssc_log_likelihood(&one, &data[i], &point[i], 1, scatter)) return -HUGE_VAL;
        sum += one;
    }
    const double net_says = ln_p - bml_mcmc_prior_log_density(p->prior, theta);
    return sum - net_says;
}

static void derive(double *value, const bml_ssc_derived *q, const problem *p, const double *full) {
    const double U_B = q->U_B > 0 ? q->U_B : 1;
    value[DERIVED_BALANCE] = log10_or_floor(q->U_e / U_B);
    value[DERIVED_INJECTED] = log10_or_floor(q->L_injected);
    value[DERIVED_JET] = log10_or_floor(q->P_jet);
    value[DERIVED_NU_SYNCHROTRON] = log10_or_floor(q->nu_synchrotron);
    value[DERIVED_L_SYNCHROTRON] = log10_or_floor(q->L_synchrotron);
    value[DERIVED_NU_COMPTON] = log10_or_floor(q->nu_compton);
    value[DERIVED_L_COMPTON] = log10_or_floor(q->L_compton);
    value[DERIVED_DOMINANCE] = log10_or_floor(q->compton_dominance);
    value[DERIVED_T_VAR] = log_t_var(p, full);
    value[DERIVED_U_EXTERNAL] = -300;
    if (is_parameter(p->opt, LORENTZ)) {
        const double faster = full[LORENTZ] - full[DELTA];
        value[DERIVED_JET] += 2 * faster;
    }
    if (p->opt->fields) {
        const surroundings around = surroundings_of(p, full);
        value[DERIVED_U_EXTERNAL] = log10_or_floor(surroundings_energy(&around));
    }
}

/* Solves draw i anew: derived quantities, the spectrum sed [N_NU] at nu, the fluxes of the points; zeros where that
   cannot be. */
static void solve_draw(draws *g, long i, double *sed, const double *nu, const problem *p, double ln_p) {
    const double *theta = g->theta + i * p->n_free;
    double *data = g->data + i * p->sed.n;
    double full[N_PAR];
    bml_ssc_blob *blob = p->blob[thread_number()];
    const solved s = {p, full, blob};
    bml_ssc_derived q;
    expand(full, p, theta);
    const bml_ssc_observer o = observer_of(p, full);
    const int status = solve(blob, p, full);
    int bad = status && status != BML_SSC_NOT_CONVERGED;
    if (!bad) bad = bml_ssc_derive(&q, blob, &o);
    if (!bad) bad = curve(sed, nu, &s, BML_SSC_TOTAL);
    if (!bad) bad = at_points(data, &s);
    if (bad) {
        memset(&q, 0, sizeof q);
        memset(sed, 0, N_NU * sizeof *sed);
        no_data(data, p);
    }
    derive(g->derived + i * N_DERIVED, &q, p, full);
    g->off[i] = 0;
    if (by_network(p)) g->off[i] = net_off(&s, data, theta, ln_p);
}

static void draws_free(draws *g) {
    free(g->theta);
    free(g->derived);
    free(g->flux);
    free(g->data);
    free(g->off);
}

/* Which steps of the chain, and the memory. */
static void draws_begin(draws *g, const problem *p, const bml_mcmc_chain *chain) {
    const long steps = (long)chain->n_steps;
    g->walkers = chain->n_walkers;
    g->thin = steps * g->walkers / DRAWS_MAX + 1;
    if (steps / g->thin < STEPS_MIN) g->thin = steps / STEPS_MIN;
    if (g->thin < 1) g->thin = 1;
    g->steps = steps / g->thin;
    g->n = g->steps * g->walkers;
    g->theta = room(g->n, p->n_free);
    g->derived = room(g->n, N_DERIVED);
    g->flux = room(g->n, N_NU);
    g->data = room(g->n, p->sed.n);
    g->off = room(g->n, 1);
}

/* Row of the chain that draw i is: its step ends a run of `thin`. */
static long row_of_draw(const draws *g, long i) {
    const long run = i / g->walkers;
    const long walker = i % g->walkers;
    const long step = (run + 1) * g->thin - 1;
    return step * g->walkers + walker;
}

static void draw(draws *g, const double *nu, const problem *p, bml_mcmc_chain chain) {
    const long d = p->n_free;
    draws_begin(g, p, &chain);
    double *sed = room(g->n, N_NU);
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(p->threads)
#endif
    for (long i = 0; i < g->n; i++) {
        const long row = row_of_draw(g, i);
        if (stop_asked()) continue;
        copy_doubles(g->theta + i * d, chain.theta + row * d, d);
        solve_draw(g, i, sed + i * N_NU, nu, p, chain.log_prob[row]);
    }
    if (stop_asked()) stop_here(p);
    for (int k = 0; k < N_NU; k++) {
        double *flux = g->flux + k * g->n;
        for (long i = 0; i < g->n; i++)
            flux[i] = sed[i * N_NU + k];
    }
    free(sed);
}

/* The point of highest posterior density in the chain, its spectrum and components. */
static void find_best(best_point *best, const double *nu, const problem *p, bml_mcmc_chain chain) {
    const size_t n = chain.n_steps * (size_t)chain.n_walkers;
    const solved s = {p, best->full, p->blob[0]};
    const double *ln_p = chain.log_prob;
    size_t at = 0;
    for (size_t i = 1; i < n; i++)
        if (ln_p[i] > ln_p[at]) at = i;
    best->ln_p = ln_p[at];
    best->data = room(p->sed.n, 1);
    expand(best->full, p, chain.theta + at * (size_t)p->n_free);
    solve(p->blob[0], p, best->full);
    curve(best->total, nu, &s, BML_SSC_TOTAL);
    for (int k = 0; k < N_PARTS; k++)
        part_curve(best->component[k], nu, &s, k);
    if (at_points(best->data, &s)) no_data(best->data, p);
}

/* What the solver says of a network's posterior: the drawn points weighted by the ratio of the two likelihoods. */
typedef struct net_verdict {
    double mean, sd; /* of ln likelihood, solver less network */
    double kept;     /* effective share of the draws after weighting */
    double shift;    /* largest shift of a parameter's mean by the weights, in sd */
    int parameter;   /* of which */
} net_verdict;

/* Shift of the mean of parameter k by the weights exp(off - top), in its sd. */
static double net_shift(const problem *p, const draws *g, int k, double top, double sum) {
    const double n = (double)g->n;
    double plain = 0;
    double square = 0;
    double weighted = 0;
    for (long i = 0; i < g->n; i++) {
        const double x = g->theta[i * p->n_free + k];
        const double w = exp(g->off[i] - top);
        plain += x / n;
        square += x * x / n;
        weighted += x * w / sum;
    }
    return (weighted - plain) / sqrt(square - plain * plain);
}

static net_verdict check_net(const problem *p, const draws *g) {
    const double n = (double)g->n;
    net_verdict v = {0};
    double top = -HUGE_VAL;
    double sum = 0;
    double squares = 0;
    for (long i = 0; i < g->n; i++) {
        top = fmax(top, g->off[i]);
        v.mean += g->off[i] / n;
    }
    for (long i = 0; i < g->n; i++) {
        const double w = exp(g->off[i] - top);
        const double from_mean = g->off[i] - v.mean;
        v.sd += from_mean * from_mean / n;
        sum += w;
        squares += w * w;
    }
    v.sd = sqrt(v.sd);
    v.kept = sum * sum / squares / n;
    for (int k = 0; k < p->n_free; k++) {
        const double shift = net_shift(p, g, k, top, sum);
        if (fabs(shift) <= fabs(v.shift)) continue;
        v.shift = shift;
        v.parameter = k;
    }
    return v;
}
#endif
