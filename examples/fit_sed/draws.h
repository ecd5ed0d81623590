/* draws.h: what is worked out at points of a finished posterior: spectra, derived quantities, the best point. Public
   domain or MIT, see LICENSE. */
#ifndef FIT_SED_DRAWS_H
#define FIT_SED_DRAWS_H
#include "samplers.h"

enum { N_NU = 191, DRAWS_MAX = 3000, STEPS_MIN = 20 };
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

/* The spectrum at growing nu [N_NU]; where the table of the EBL has ended nothing is known, and the flux is 0. */
static int curve(double *flux, const double *nu, const problem *p, const double *full, const bml_ssc_blob *blob,
                 bml_ssc_component component) {
    const bml_ssc_observer o = observer_of(p, full);
    int n = N_NU;
    while (n && o.ebl && log10(nu[n - 1]) > o.ebl->log10_nu[o.ebl->n_nu - 1])
        flux[--n] = 0;
    return seen(flux, nu, n, p, full, blob, component);
}

/* One part of the spectrum. */
static void part_curve(double *flux, const double *nu, const problem *p, const double *full, const bml_ssc_blob *blob,
                       int k) {
    memset(flux, 0, N_NU * sizeof *flux);
    if (!has_part(p->opt, k)) return;
    if (parts[k].component != BML_SSC_TOTAL) {
        curve(flux, nu, p, full, blob, parts[k].component);
        return;
    }
    const surroundings around = surroundings_of(p, full);
    const bml_ssc_observer o = observer_of(p, full);
    surroundings_add(flux, nu, N_NU, &around, parts[k].around, &o, NULL);
}

/* ln likelihood of a solved blob's fluxes, less the network's. */
static double net_off(const problem *p, const double *data, const double *full, double ln_p, const double *theta) {
    net_desk *k = &p->desk[thread_number()];
    const bml_ssc_point *point = net_points(p, k, full);
    double ln_l = 0;
    for (int i = 0; i < p->sed.n; i++) {
        double one;
        if (bml_ssc_log_likelihood(&one, &data[i], &point[i], 1, full[LN_F + p->group[i]])) return -HUGE_VAL;
        ln_l += one;
    }
    return ln_l - (ln_p - bml_mcmc_prior_log_density(p->prior, theta));
}

static void derive(double *value, const bml_ssc_derived *q, const problem *p, const double *full) {
    value[DERIVED_BALANCE] = log10_or_floor(q->U_e / (q->U_B > 0 ? q->U_B : 1));
    value[DERIVED_INJECTED] = log10_or_floor(q->L_injected);
    value[DERIVED_JET] = log10_or_floor(q->P_jet);
    if (is_parameter(p->opt, LORENTZ)) value[DERIVED_JET] += 2 * (full[LORENTZ] - full[DELTA]);
    value[DERIVED_NU_SYNCHROTRON] = log10_or_floor(q->nu_synchrotron);
    value[DERIVED_L_SYNCHROTRON] = log10_or_floor(q->L_synchrotron);
    value[DERIVED_NU_COMPTON] = log10_or_floor(q->nu_compton);
    value[DERIVED_L_COMPTON] = log10_or_floor(q->L_compton);
    value[DERIVED_DOMINANCE] = log10_or_floor(q->compton_dominance);
    value[DERIVED_T_VAR] = log_t_var(p, full);
    const surroundings around = surroundings_of(p, full);
    value[DERIVED_U_EXTERNAL] = p->opt->fields ? log10_or_floor(surroundings_energy(&around)) : -300;
}

/* Draw i: derived quantities, the spectrum sed [N_NU] at nu, the fluxes of the points. */
static void solve_draw(draws *g, long i, double *sed, const double *nu, const problem *p, double ln_p) {
    const double *theta = g->theta + i * p->n_free;
    double *data = g->data + i * p->sed.n;
    double full[N_PAR];
    bml_ssc_blob *blob = p->blob[thread_number()];
    bml_ssc_derived q;
    expand(full, p, theta);
    const bml_ssc_observer o = observer_of(p, full);
    const int status = solve(blob, p, full);
    int bad = status && status != BML_SSC_NOT_CONVERGED;
    bad = bad || bml_ssc_derive(&q, blob, &o) || curve(sed, nu, p, full, blob, BML_SSC_TOTAL);
    bad = bad || seen(data, p->nu, p->sed.n, p, full, blob, BML_SSC_TOTAL);
    if (bad) {
        memset(&q, 0, sizeof q);
        memset(sed, 0, N_NU * sizeof *sed);
        memset(data, 0, (size_t)p->sed.n * sizeof *data);
    }
    derive(g->derived + i * N_DERIVED, &q, p, full);
    g->off[i] = by_network(p) ? net_off(p, data, full, ln_p, theta) : 0;
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
    if (steps / g->thin < STEPS_MIN) g->thin = steps > STEPS_MIN ? steps / STEPS_MIN : 1;
    g->steps = steps / g->thin;
    g->n = g->steps * g->walkers;
    const size_t n = (size_t)g->n;
    g->theta = malloc(n * (size_t)p->n_free * sizeof(double));
    g->derived = malloc(n * N_DERIVED * sizeof(double));
    g->flux = malloc(n * N_NU * sizeof(double));
    g->data = malloc(n * (size_t)p->sed.n * sizeof(double));
    g->off = malloc(n * sizeof(double));
    if (!g->theta || !g->derived || !g->flux || !g->data || !g->off) fail("fit_sed: out of memory");
}

static void draw(draws *g, const double *nu, const problem *p, bml_mcmc_chain chain) {
    draws_begin(g, p, &chain);
    const long W = g->walkers;
    double *sed = malloc((size_t)g->n * N_NU * sizeof(double));
    if (!sed) fail("fit_sed: out of memory");
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(p->threads)
#endif
    for (long i = 0; i < g->n; i++) {
        const long at = ((i / W + 1) * g->thin - 1) * W + i % W;
        if (stop_asked()) continue;
        memcpy(g->theta + i * p->n_free, chain.theta + at * p->n_free, (size_t)p->n_free * sizeof(double));
        solve_draw(g, i, sed + i * N_NU, nu, p, chain.log_prob[at]);
    }
    if (stop_asked()) stop_here(p);
    for (long i = 0; i < g->n; i++)
        for (int k = 0; k < N_NU; k++)
            g->flux[k * g->n + i] = sed[i * N_NU + k];
    free(sed);
}

/* The point of highest posterior density in the chain, its spectrum and components. */
static void find_best(best_point *best, const double *nu, const problem *p, bml_mcmc_chain chain) {
    size_t at = 0;
    const size_t n = chain.n_steps * (size_t)chain.n_walkers;
    for (size_t i = 1; i < n; i++)
        if (chain.log_prob[i] > chain.log_prob[at]) at = i;
    best->ln_p = chain.log_prob[at];
    best->data = malloc((size_t)p->sed.n * sizeof *best->data);
    if (!best->data) fail("fit_sed: out of memory");
    expand(best->full, p, chain.theta + at * (size_t)p->n_free);
    solve(p->blob[0], p, best->full);
    curve(best->total, nu, p, best->full, p->blob[0], BML_SSC_TOTAL);
    for (int k = 0; k < N_PARTS; k++)
        part_curve(best->component[k], nu, p, best->full, p->blob[0], k);
    if (seen(best->data, p->nu, p->sed.n, p, best->full, p->blob[0], BML_SSC_TOTAL))
        memset(best->data, 0, (size_t)p->sed.n * sizeof *best->data);
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
    double plain = 0;
    double square = 0;
    double weighted = 0;
    for (long i = 0; i < g->n; i++) {
        const double x = g->theta[i * p->n_free + k];
        plain += x / (double)g->n;
        square += x * x / (double)g->n;
        weighted += x * exp(g->off[i] - top) / sum;
    }
    return (weighted - plain) / sqrt(square - plain * plain);
}

static net_verdict check_net(const problem *p, const draws *g) {
    net_verdict v = {0};
    double top = -HUGE_VAL;
    double sum = 0;
    double squares = 0;
    for (long i = 0; i < g->n; i++) {
        top = fmax(top, g->off[i]);
        v.mean += g->off[i] / (double)g->n;
    }
    for (long i = 0; i < g->n; i++) {
        const double w = exp(g->off[i] - top);
        v.sd += (g->off[i] - v.mean) * (g->off[i] - v.mean) / (double)g->n;
        sum += w;
        squares += w * w;
    }
    v.sd = sqrt(v.sd);
    v.kept = sum * sum / squares / (double)g->n;
    for (int k = 0; k < p->n_free; k++) {
        const double shift = net_shift(p, g, k, top, sum);
        if (fabs(shift) <= fabs(v.shift)) continue;
        v.shift = shift;
        v.parameter = k;
    }
    return v;
}
#endif
