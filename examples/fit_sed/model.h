/* model.h: what fit_sed fits. A problem holds the table, the prior and the free parameters; here are the likelihood by
   the exact solver and by a polynomial. network.h asks a network instead, evaluate.h chooses, setup.h fills a problem.
   Include common.h, bml_ssc.h, bml_mcmc.h, bml_nn.h, sed.h, ebl.h, surrogate.h, device.h, farm.h, surroundings.h first.
   Public domain or MIT, see LICENSE. */
#ifndef FIT_SED_MODEL_H
#define FIT_SED_MODEL_H
#include "options.h"
#include "hadrons.h"

enum {
    R,
    B,
    GAMMA_MIN,
    GAMMA_MAX,
    L_E,
    P,
    DELTA,
    BREAK,
    P2,
    CURVATURE,
    U_EXT,
    T_EXT,
    LORENTZ,
    DISTANCE,
    L_DISC,
    M_BH,
    R_BLR,
    F_BLR,
    R_TORUS,
    F_TORUS,
    T_TORUS,
    L_P,
    GAMMA_P,
    P_P,
    L_HOST,
    LN_F,          /* of all points, or with --scatter instrument of those whose instrument has too few */
    SCATTERS = 16, /* groups of points, each with its own ln f */
    N_PAR = LN_F + SCATTERS
};

/* The parameters, and how a picture writes them. lo, hi: the published ranges, in which the prior is flat; least, most:
   what --fix, --tie and --prior may ask for. usual: a value, or a tie to another parameter, that holds unless --free,
   --fix, --tie or --prior names the parameter; NULL: it is fitted. Radii and fractions as in Ghisellini & Tavecchio 2009,
   MNRAS 397, 985. The rows behind ln_f get their names in setup.h. */
static struct parameter {
    const char *name, *label, *unit;
    double lo, hi, least, most;
    const char *usual;
} parameters[N_PAR] = {
    {"log_R", "log_{10} R", "cm", 14, 17, 12, 20, NULL},
    {"log_B", "log_{10} B", "G", -2, 2, -5, 4, NULL},
    {"log_gamma_min", "log_{10} γ_{min}", "", 0.1, 4, 0, 6, NULL},
    {"log_gamma_max", "log_{10} γ_{max}", "", 2.1, 8, 0.3, 8, NULL},
    {"log_l_e", "log_{10} l_e", "", -5, -1, -10, 1, NULL},
    {"p", "p", "", 1.5, 3, -1, 6, NULL},
    {"log_delta", "log_{10} δ", "", 0, 3, 0, 3, NULL},
    {"log_gamma_break", "log_{10} γ_{br}", "", 1, 8, 0, 8, NULL},
    {"p2", "p_2", "", 1.5, 6, -1, 10, NULL},
    {"curvature", "b", "", 0, 3, -3, 10, NULL},
    {"log_u_ext", "log_{10} u_{ext}", "erg/cm^3", -8, 3, -15, 6, NULL},
    {"log_T_ext", "log_{10} T_{ext}", "K", 2, 7, 0, 9, NULL},
    {"log_Gamma", "log_{10} Γ", "", 0, 3, 0, 3, "log_delta"},
    {"log_distance", "log_{10} r", "cm", 15, 21, 13, 24, NULL},
    {"log_L_disc", "log_{10} L_{disc}", "erg/s", 41, 48, 38, 49, NULL},
    {"log_M_bh", "log_{10} M_{BH}", "Msun", 6, 10.5, 3, 11, "8.7"},
    {"log_R_blr", "log_{10} R_{BLR}", "cm", 14, 19.5, 12, 22, "0.5*log_L_disc-5.5"},
    {"log_f_blr", "log_{10} ξ_{BLR}", "", -4, 0, -8, 0, "-1"},
    {"log_R_torus", "log_{10} R_{torus}", "cm", 15.5, 21, 13, 23, "0.5*log_L_disc-4.1021"},
    {"log_f_torus", "log_{10} ξ_{torus}", "", -4, 0, -8, 0, "-0.301"},
    {"log_T_torus", "log_{10} T_{torus}", "K", 2, 3.5, 1, 5, "3"},
    {"log_l_p", "log_{10} l_p", "", -8, -1, -15, 2, NULL},
    {"log_gamma_p_max", "log_{10} γ_{p,max}", "", 3, 11, 1, 12, NULL},
    {"p_p", "p_p", "", 1, 3, -1, 6, "2"},
    {"log_L_host", "log_{10} L_{host}", "erg/s", 40, 47, 36, 48, NULL},
    {"ln_f", "ln f", "dex", -10, 1, -20, 3, NULL},
};
static const double gamma_span = 2;        /* gamma_max is at least 100 gamma_min */
static const double cutoff_reach = 1.3;    /* with an exponential cut-off gamma_max is 20 times that */
static const double proton_mass = 3.26391; /* log10 of m_p/m_e: a proton is confined to a gamma as much lower */
static const double parabola_pivot = 4;    /* log gamma where a log-parabola has the index p, unless --fix says so */

static const double bad_by =
    15; /* a walker this far below the best, in ln p, is stuck: chi^2 of 8 has 30 once in 5000 */
static const double learn_from = 15;  /* the polynomial learns from points this close to the best, in ln p, */
static const double guide_from = 150; /* and the guide, which leads there too */

enum { NET_ROWS = 24 }; /* parameter rows that go through the network together */

/* What one thread needs to ask the network. */
typedef struct net_desk {
    bml_nn_work *work;
    surrogate_frame frame[NET_ROWS];
    float input[NET_ROWS * SURROGATE_INPUTS], d_input[NET_ROWS * SURROGATE_INPUTS];
    float *node, *d_node; /* [NET_ROWS][n_out] */
    const float *given;   /* the block's nodes, where the device has worked them out; NULL */
    bml_ssc_point *point; /* [sed.n] with the network's own error added */
    double *flux;         /* [sed.n] */
} net_desk;

/* Solver answers kept for the polynomial: theta [n][n_model], log10 nuFnu (dex) [n][n_points], ln p [n]. */
typedef struct memory {
    double *theta, *dex, *ln_p;
    long n, capacity;
    double best;
    double reach; /* answers as far below the best, in ln p, are learned from */
} memory;

/* The network of guide.h. */
typedef struct guide {
    bml_nn *net;           /* owned; NULL: none yet */
    bml_nn_work **work;    /* [threads] */
    float *x, *y;          /* [threads][GUIDE_ROWS][n_model], [sed.n] */
    unsigned char *before; /* what net was before it learned last, [before_size] bytes of a file; NULL: nothing */
    size_t before_size;
    long learned; /* answers kept when it learned last; -1: it has not since guide_round */
} guide;

/* A parameter that follows another: slope of times the other, plus offset. */
typedef struct tie {
    int par, of;
    double slope, offset;
} tie;

typedef struct problem {
    const options *opt;
    sed_table sed;
    double *nu, *log_data;        /* [sed.n] frequency; log10 nuFnu */
    ebl_table ebl;                /* --ebl; empty without */
    double *fade;                 /* [sed.n] log10 of what the EBL leaves of the flux, <= 0 */
    int absorbed;                 /* there is an EBL */
    int above_100_GeV;            /* detections there */
    int radio_points, radio_safe; /* detections below 1e12 Hz; they may be fitted */
    double value[N_PAR];          /* of the parameters that are fixed */
    tie tied[N_PAR];              /* those that follow others, in the order in which they can be worked out */
    int n_tied;
    int free_par[N_PAR], n_free; /* the others, in order */
    int n_model;                 /* free parameters of the solver: all but ln f, of which each group has one, last */
    int *group;                  /* [sed.n] 0 ... SCATTERS - 1: a point's scatter is LN_F + group */
    bml_mcmc_prior *prior;       /* of the free parameters */
    int follows;                 /* gamma_max follows the cut-off */
    int confines;                /* R and B can bound gamma_max: in the published ranges they cannot */
    bml_ssc *tables;
    bml_ssc_blob **blob; /* [threads] */
    hadrons protons;     /* --protons */
    int threads;
    farm others; /* the other ranks of MPI */
    device card; /* --device cuda: the solver, or the network, on it */
    device_solver card_solver;
    device_net card_net;
    long solver_calls, network_calls, sampling_calls; /* of all legs; the last: while `sampling` */
    int sampling;
    long legs;            /* of a run that was resumed: this one is the last */
    double seconds;       /* of the legs before */
    uint64_t evaluations; /* of nested sampling, those before a --resume too */
    surrogate net;        /* --model; net.net is NULL without */
    net_desk *desk;       /* [threads] */
    int solver_judges;    /* --reweigh, once the network's run is over */
    double *log10_x;      /* [sed.n] of the points, comoving, for delta = 1 */
    double log10_area;    /* log10 of (nu F_nu)/(x^2 n R delta^4) */
    double *dex;          /* [dex_rows][sed.n] log10 fluxes of the call under way */
    int dex_rows;
    double *scratch; /* [threads][sed.n] */
    memory learned;
    int remember, pin; /* keep solver answers; keep them however far from the best */
    double warmth;     /* the polynomial's likelihood is taken to the power 1/warmth */
    double *archive;   /* [archive_n][n_free] sample of the polynomial's posterior */
    int archive_n;
    response response;
    guide guide;
} problem;

/* Room for [rows][columns] doubles, yours to free, or the end. */
static double *room(long rows, long columns) {
    const size_t n = (size_t)rows * (size_t)columns;
    double *x = malloc((n + !n) * sizeof *x);
    if (!x) {
        fail("fit_sed: out of memory");
    }
    return x;
}

static void copy_doubles(double *to, const double *from, long n) {
    if (n) {
        memcpy(to, from, (size_t)n * sizeof *to);
    }
}

/* ==== the model =================================================================================================== */

/* Which parameters a model has. */
static int is_parameter(const options *opt, int k) {
    switch (k) {
    case BREAK: return opt->electrons != ELECTRONS_POWER;
    case P2: return opt->electrons == ELECTRONS_BROKEN;
    case CURVATURE: return opt->electrons == ELECTRONS_PARABOLA;
    case U_EXT:
    case T_EXT: return (opt->fields & AROUND_GREY) != 0;
    case LORENTZ: return (opt->fields & (AROUND_PLACED | AROUND_CMB)) != 0;
    case DISTANCE: return (opt->fields & AROUND_PLACED) != 0;
    case L_DISC: return ((opt->fields | opt->shines) & AROUND_PLACED) != 0;
    case M_BH: return ((opt->fields | opt->shines) & AROUND_DISC) != 0;
    case R_BLR:
    case F_BLR: return (opt->fields & AROUND_CLOUDS) != 0;
    case R_TORUS:
    case F_TORUS:
    case T_TORUS: return ((opt->fields | opt->shines) & AROUND_TORUS) != 0;
    case L_P:
    case GAMMA_P:
    case P_P: return opt->protons;
    case L_HOST: return (opt->shines & AROUND_HOST) != 0;
    default: return k < LN_F || (opt->scatters >> (k - LN_F) & 1);
    }
}

/* Highest log gamma_max: what the blob confines, and 8. */
static double gamma_top(const double *full) {
    const double top = ssc_row_confined(full); /* R and B stand first */
    return top < parameters[GAMMA_MAX].hi ? top : parameters[GAMMA_MAX].hi;
}

/* All parameters from the free ones. */
static void expand(double *full, const problem *p, const double *theta) {
    memcpy(full, p->value, sizeof p->value);
    for (int k = 0; k < p->n_free; k++)
        full[p->free_par[k]] = theta[k];
    for (int k = 0; k < p->n_tied; k++)
        full[p->tied[k].par] = p->tied[k].slope * full[p->tied[k].of] + p->tied[k].offset;
    if (p->follows) {
        full[GAMMA_MAX] = fmin(gamma_top(full), full[BREAK] + cutoff_reach);
    }
}

/* The shortest variability that the blob allows, log10 of seconds at the observer. */
static double log_t_var(const problem *p, const double *full) {
    return full[R] - full[DELTA] + log10((1 + p->opt->redshift) / 2.99792458e10);
}

/* Those that follow others must stay in their own ranges, and nothing beams more than 2 Gamma. */
static int ties_allowed(const problem *p, const double *full) {
    for (int k = 0; k < p->n_tied; k++) {
        const int par = p->tied[k].par;
        if (!(full[par] >= parameters[par].least - 1e-9 && full[par] <= parameters[par].most + 1e-9)) {
            return 0;
        }
    }
    if (!is_parameter(p->opt, LORENTZ)) {
        return 1;
    }
    const double Gamma = pow(10, full[LORENTZ]);
    return fabs(full[DELTA]) <= log10(Gamma + sqrt(fmax(Gamma * Gamma - 1, 0))) + 1e-12;
}

static int allowed(const problem *p, const double *full) {
    const int shape = p->opt->electrons;
    const double span = p->follows ? 0.3 : gamma_span;
    if (!(full[GAMMA_MAX] >= full[GAMMA_MIN] + span && full[GAMMA_MAX] <= gamma_top(full))) {
        return 0;
    }
    const int between = shape == ELECTRONS_BROKEN || shape == ELECTRONS_CUTOFF;
    if (between && !(full[BREAK] >= full[GAMMA_MIN] && full[BREAK] <= full[GAMMA_MAX])) {
        return 0;
    }
    if (!ties_allowed(p, full)) {
        return 0;
    }
    if (p->opt->protons && !(full[GAMMA_P] <= ssc_row_confined(full) - proton_mass)) {
        return 0;
    }
    return !(p->opt->t_var > 0) || log_t_var(p, full) <= log10(p->opt->t_var);
}

/* Bounds of log gamma_max for the prior, which is flat over the allowed region. */
static void gamma_bounds(double *lower, double *upper, const double *theta, int i, void *user) {
    const problem *p = user;
    double full[N_PAR];
    memcpy(full, p->value, sizeof full);
    for (int k = 0; k < i; k++)
        full[p->free_par[k]] = theta[k];
    const double top = p->confines ? gamma_top(full) : parameters[GAMMA_MAX].hi;
    if (full[GAMMA_MIN] + gamma_span > *lower) {
        *lower = full[GAMMA_MIN] + gamma_span;
    }
    if (top < *upper) {
        *upper = top;
    }
}

static bml_ssc_observer observer_of(const problem *p, const double *full) {
    bml_ssc_observer o = {.redshift = p->opt->redshift, .delta = pow(10, full[DELTA])};
    if (p->absorbed) {
        o.ebl = &p->ebl.tau;
    }
    return o;
}

static surroundings surroundings_of(const problem *p, const double *full) {
    const surroundings s = {.fields = p->opt->fields,
                            .shines = p->opt->shines,
                            .isotropic = p->opt->isotropic,
                            .redshift = p->opt->redshift,
                            .Gamma = pow(10, full[LORENTZ]),
                            .distance = pow(10, full[DISTANCE]),
                            .L_disc = pow(10, full[L_DISC]),
                            .M_bh = pow(10, full[M_BH]),
                            .R_blr = pow(10, full[R_BLR]),
                            .f_blr = pow(10, full[F_BLR]),
                            .R_torus = pow(10, full[R_TORUS]),
                            .f_torus = pow(10, full[F_TORUS]),
                            .T_torus = pow(10, full[T_TORUS]),
                            .u_ext = pow(10, full[U_EXT]),
                            .T_ext = pow(10, full[T_EXT]),
                            .L_host = pow(10, full[L_HOST])};
    return s;
}

/* field [AROUND_FIELDS]: room for those from outside, which must outlive the source. */
static bml_ssc_source source_of(const problem *p, const double *full, bml_ssc_external *field) {
    static const bml_ssc_injection shapes[] = {BML_SSC_POWER_LAW, BML_SSC_BROKEN, BML_SSC_LOG_PARABOLA, BML_SSC_CUTOFF};
    const options *opt = p->opt;
    bml_ssc_source source = {.self_absorption = opt->ssa ? BML_SSC_SSA_HEATING : BML_SSC_SSA_OFF,
                             .pair_production = opt->pairs,
                             .photon_escape = opt->escape ? BML_SSC_SPHERE : BML_SSC_RATE,
                             .injection = shapes[opt->electrons]};
    bml_ssc_source_from_row(&source, full);
    if (opt->electrons != ELECTRONS_POWER) {
        source.gamma_break = pow(10, full[BREAK]);
    }
    if (opt->electrons == ELECTRONS_BROKEN) {
        source.p2 = full[P2];
    }
    if (opt->electrons == ELECTRONS_PARABOLA) {
        source.curvature = full[CURVATURE];
    }
    if (!opt->fields) {
        return source;
    }
    const surroundings around = surroundings_of(p, full);
    source.external = field;
    source.n_external = surroundings_fields(field, &around);
    source.distance = around.distance;
    source.Gamma = around.Gamma;
    source.delta = pow(10, full[DELTA]);
    return source;
}

/* With protons, to t = 5 in the solver's own steps: where the loop from protons to photons and back runs away within a
   step there is no steady source to fit. */
static int solve_protons(bml_ssc_blob *blob, bml_hadron_blob *protons, bml_ssc_source *source, const double *full) {
    const int steps = 12;
    const char *why;
    bml_hadron_source p = {
        .gamma_min = 1, .gamma_max = pow(10, full[GAMMA_P]), .compactness = pow(10, full[L_P]), .p = full[P_P]};
    int status = hadron_ssc_begin(blob, protons, source, &p, 0, &why);
    for (int i = 1; i <= steps && !status; i++)
        status = bml_ssc_advance(blob, 5.0 * i / steps);
    return status == BML_SSC_NOT_CONVERGED ? BML_SSC_PARAMETER : status;
}

static int solve(bml_ssc_blob *blob, const problem *p, const double *full) {
    bml_ssc_external field[AROUND_FIELDS];
    bml_ssc_source source = source_of(p, full, field);
    if (p->opt->protons) {
        return solve_protons(blob, p->protons.blob[thread_number()], &source, full);
    }
    return bml_ssc_solve(blob, &source);
}

/* --neutrinos: ln of the probability of as many events, in the source that this thread has solved last. */
static double ln_neutrinos(const problem *p, const double *full) {
    if (p->opt->neutrinos < 0) {
        return 0;
    }
    const bml_hadron_observer o = {.redshift = p->opt->redshift, .delta = pow(10, full[DELTA])};
    double events;
    int status = bml_hadron_events(&events, &p->protons.area, p->opt->exposure, p->protons.blob[thread_number()], &o);
    return status ? (double)NAN : bml_hadron_log_poisson((int)p->opt->neutrinos, events);
}

/* nu F_nu of a solved blob at nu [n], absorbed by the fields around it; TOTAL: with all that shines beside it. */
static int seen(double *flux, const double *nu, int n, const problem *p, const double *full, const bml_ssc_blob *blob,
                bml_ssc_component component) {
    const bml_ssc_observer o = observer_of(p, full);
    int status = bml_ssc_sed(flux, nu, n, blob, &o, component);
    if (status || !(p->opt->fields || p->opt->shines)) {
        return status;
    }
    const surroundings around = surroundings_of(p, full);
    status = surroundings_absorb(flux, nu, n, &around, NULL);
    if (!status && component == BML_SSC_TOTAL) {
        status = surroundings_add(flux, nu, n, &around, around.shines, &o, NULL);
    }
    return status;
}

/* ln likelihood of model fluxes. */
static double ln_likelihood(const problem *p, const double *flux, const double *full) {
    double ln_l;
    double sum = 0;
    if (p->opt->scatters == 1) {
        const int status = bml_ssc_log_likelihood(&ln_l, flux, p->sed.point, p->sed.n, full[LN_F]);
        return status ? (double)NAN : ln_l;
    }
    for (int i = 0; i < p->sed.n; i++) {
        if (bml_ssc_log_likelihood(&ln_l, &flux[i], &p->sed.point[i], 1, full[LN_F + p->group[i]])) {
            return (double)NAN;
        }
        sum += ln_l;
    }
    return sum;
}

/* The same from log10 of the fluxes, y [sed.n]: what the network and the polynomial give. point: the data, perhaps with
   other errors. Detections need no exponential here, and one logarithm for sixteen. */
static double ln_likelihood_dex(const problem *p, const bml_ssc_point *point, const double *y, const double *full) {
    double square[SCATTERS];
    for (int g = 0; g < SCATTERS; g++)
        square[g] = p->opt->scatters >> g & 1 ? exp(2 * full[LN_F + g]) : 0;
    double chi2 = 0;
    double product = 1;
    double ln_v = 0;
    double ln_limits = 0;
    int n = 0;
    for (int i = 0; i < p->sed.n; i++) {
        if (point[i].upper_limit) {
            const double flux = exp(2.302585092994046 * fmin(y[i], 100));
            double ln_l;
            if (bml_ssc_log_likelihood(&ln_l, &flux, &point[i], 1, -HUGE_VAL)) {
                return (double)NAN;
            }
            ln_limits += ln_l;
            continue;
        }
        const double r = y[i] - p->log_data[i];
        const double side = r > 0 ? point[i].sigma_hi : point[i].sigma_lo;
        const double v = side * side + square[p->group[i]];
        chi2 += r * r / v;
        product *= v;
        if (++n % 16 == 0) {
            ln_v += log(product);
            product = 1;
        }
    }
    ln_v += log(product) + 1.8378770664093453 * n; /* ln(2 pi) */
    if (isnan(chi2)) {
        return (double)NAN;
    }
    return chi2 < HUGE_VAL ? ln_limits - 0.5 * (chi2 + ln_v) : -HUGE_VAL;
}

/* --equipartition: a Gaussian in log10(U_e/U_B). */
static double ln_equipartition(const problem *p, const bml_ssc_blob *blob, const bml_ssc_observer *o) {
    bml_ssc_derived q;
    if (!(p->opt->equipartition > 0)) {
        return 0;
    }
    if (bml_ssc_derive(&q, blob, o) || !(q.U_e > 0 && q.U_B > 0)) {
        return -HUGE_VAL;
    }
    const double off = log10(q.U_e / q.U_B) / p->opt->equipartition;
    return -0.5 * off * off;
}

/* ln likelihood of all parameters by the exact solver; dex [sed.n] out: log10 of the fluxes; *solved tells whether it
   was needed. */
static double exact(const problem *p, const double *full, double *dex, int *solved) {
    bml_ssc_blob *blob = p->blob[thread_number()];
    *solved = 0;
    if (!allowed(p, full)) {
        return -HUGE_VAL;
    }
    *solved = 1;
    int status = solve(blob, p, full);
    if (status && status != BML_SSC_NOT_CONVERGED) {
        return -HUGE_VAL; /* the solver has no such source */
    }
    bml_ssc_observer o = observer_of(p, full);
    if (seen(dex, p->nu, p->sed.n, p, full, blob, BML_SSC_TOTAL)) {
        return (double)NAN;
    }
    const double ln_l = ln_likelihood(p, dex, full) + ln_equipartition(p, blob, &o) + ln_neutrinos(p, full);
    for (int i = 0; i < p->sed.n; i++)
        dex[i] = log10(dex[i]);
    return ln_l;
}

/* Keep an answer, dex [sed.n]; where flux hardly matters it is cut off, so that the polynomial need not follow it to
   zero. */
static void remember(problem *p, const double *theta, const double *dex, double ln_p) {
    memory *m = &p->learned;
    int n = p->sed.n;
    if (ln_p > m->best) {
        m->best = ln_p;
    }
    if (p->pin) {
        ln_p = HUGE_VAL; /* where the polynomial was wrong enough to go */
    }
    if (!(ln_p > m->best - 2 * m->reach)) {
        return;
    }
    if (m->n == m->capacity) {
        m->capacity = m->capacity ? 2 * m->capacity : 4096;
        m->theta = realloc(m->theta, (size_t)m->capacity * (size_t)p->n_model * sizeof(double));
        m->dex = realloc(m->dex, (size_t)m->capacity * (size_t)n * sizeof(double));
        m->ln_p = realloc(m->ln_p, (size_t)m->capacity * sizeof(double));
        if (!m->theta || !m->dex || !m->ln_p) {
            fail("fit_sed: out of memory");
        }
    }
    memcpy(m->theta + m->n * p->n_model, theta, (size_t)p->n_model * sizeof(double));
    for (int k = 0; k < n; k++) {
        const bml_ssc_point *point = &p->sed.point[k];
        const double low = p->log_data[k] - (point->upper_limit ? 1 : 3);
        m->dex[m->n * n + k] = dex[k] > low ? dex[k] : low;
    }
    m->ln_p[m->n++] = ln_p;
}

/* Points that have fallen behind are dropped for good. */
static void forget_behind(problem *p) {
    memory *m = &p->learned;
    long kept = 0;
    for (long i = 0; i < m->n; i++) {
        if (!(m->ln_p[i] > m->best - m->reach)) {
            continue;
        }
        memmove(m->theta + kept * p->n_model, m->theta + i * p->n_model, (size_t)p->n_model * sizeof(double));
        memmove(m->dex + kept * p->sed.n, m->dex + i * p->sed.n, (size_t)p->sed.n * sizeof(double));
        m->ln_p[kept++] = m->ln_p[i];
    }
    m->n = kept;
}

/* solver_rows on the device, all of them at once. */
static long device_solver_rows(double *lp, double *dex, const double *theta, int n, int n_dim, problem *p) {
    const size_t room = (size_t)n + 1;
    const size_t n_nu = (size_t)p->sed.n;
    bml_ssc_source *source = malloc(room * sizeof *source);
    double *delta = malloc(room * sizeof *delta);
    double *flux = malloc(room * n_nu * sizeof *flux);
    double full[N_PAR];
    int *row = malloc(room * sizeof *row);
    int *solved = malloc(room * sizeof *solved);
    int asked = 0;
    if (!source || !delta || !flux || !row || !solved) {
        fail("fit_sed: out of memory");
    }
    for (int i = 0; i < n; i++) {
        if (!(lp[i] > -HUGE_VAL)) {
            continue;
        }
        expand(full, p, theta + i * n_dim);
        lp[i] = allowed(p, full) ? lp[i] : -HUGE_VAL;
        if (!allowed(p, full)) {
            continue;
        }
        source[asked] = source_of(p, full, NULL);
        delta[asked] = pow(10, full[DELTA]);
        row[asked++] = i;
    }
    const device_spectra job = {source, delta, p->nu, p->opt->redshift, asked, p->sed.n};
    if (asked) {
        device_solve(flux, solved, &job, &p->card_solver);
    }
    for (int j = 0; j < asked; j++) {
        const int i = row[j];
        for (size_t k = 0; p->absorbed && k < n_nu; k++)
            flux[(size_t)j * n_nu + k] *= pow(10, p->fade[k]);
        expand(full, p, theta + i * n_dim);
        lp[i] = solved[j] ? lp[i] + ln_likelihood(p, flux + (size_t)j * n_nu, full) : -HUGE_VAL;
        for (size_t k = 0; k < n_nu; k++)
            dex[(size_t)i * n_nu + k] = log10(flux[(size_t)j * n_nu + k]);
    }
    free(source);
    free(delta);
    free(flux);
    free(row);
    free(solved);
    return asked;
}

/* lp [n] holds ln prior densities (0 for none) at theta [n][n_dim]; where they are finite the ln likelihood is added.
   dex [n][sed.n] out. Threads over points. Returns how often the solver was called. */
static long solver_rows(double *lp, double *dex, const double *theta, int n, int n_dim, problem *p) {
    long calls = 0;
    if (device_ready(&p->card)) {
        return device_solver_rows(lp, dex, theta, n, n_dim, p);
    }
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(p->threads) reduction(+ : calls)
#endif
    for (int i = 0; i < n; i++) {
        double full[N_PAR];
        int solved = 0;
        if (!(lp[i] > -HUGE_VAL)) {
            continue;
        }
        expand(full, p, theta + i * n_dim);
        lp[i] += exact(p, full, dex + i * p->sed.n, &solved);
        calls += solved;
    }
    return calls;
}

/* The same from the polynomial: a microsecond or two a point, so that threads pay only for many. */
static void log_prob_response(double *lp, const double *theta, int n, int n_dim, void *user) {
    const problem *p = user;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(p->threads) if (n >= 256)
#endif
    for (int i = 0; i < n; i++) {
        double full[N_PAR];
        double *dex = p->scratch + thread_number() * p->sed.n;
        double prior = bml_mcmc_prior_log_density(p->prior, theta + i * n_dim);
        expand(full, p, theta + i * n_dim);
        lp[i] = -HUGE_VAL;
        if (!(prior > -HUGE_VAL) || !allowed(p, full)) {
            continue;
        }
        response_at(dex, &p->response, theta + i * n_dim);
        lp[i] = prior + ln_likelihood_dex(p, p->sed.point, dex, full) / p->warmth;
        if (!(lp[i] > -1e300)) {
            lp[i] = -HUGE_VAL;
        }
    }
}

#endif
