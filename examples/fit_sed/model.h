/* model.h: what fit_sed fits. A problem holds the table, the prior and the free parameters; evaluate() gives
   the ln likelihood of many points at once, from the exact solver, from a network in its place, or from both: the
   network rules out, the solver judges.

     the model        parameters, limits, ln likelihood by the solver and by the polynomial
     the network      the same by a network of train_surrogate, and its gradient
     evaluate         which of them is asked
     setting up       options, prior, memory

   Include common.h, bml_ssc.h, bml_mcmc.h, bml_nn.h, sed.h, ebl.h, surrogate.h and device.h first. Public domain or MIT, see
   LICENSE. */
#ifndef FIT_SED_MODEL_H
#define FIT_SED_MODEL_H

enum { R, B, GAMMA_MIN, GAMMA_MAX, L_E, P, DELTA, LN_F, N_PAR };

/* The parameters, their published ranges, and how a picture writes them. */
static const struct parameter {
    const char *name, *label, *unit;
    double lo, hi;
} parameters[N_PAR] = {
    {"log_R", "log_{10} R", "cm", 14, 17},
    {"log_B", "log_{10} B", "G", -2, 2},
    {"log_gamma_min", "log_{10} γ_{min}", "", 0.1, 4},
    {"log_gamma_max", "log_{10} γ_{max}", "", 2.1, 8},
    {"log_l_e", "log_{10} l_e", "", -5, -1},
    {"p", "p", "", 1.5, 3},
    {"log_delta", "log_{10} δ", "", 0, 3},
    {"ln_f", "ln f", "dex", -10, 1},
};
static const double gamma_span = 2; /* gamma_max is at least 100 gamma_min */

static const double bad_by =
    15; /* a walker this far below the best, in ln p, is stuck: chi^2 of 8 has 30 once in 5000 */
static const double learn_from = 15; /* the polynomial learns from points this close to the best, in ln p */

enum { MOVES_SURROGATE, MOVES_STRETCH, MOVES_DE, MOVES_MIXTURE };
enum { SAMPLER_ENSEMBLE, SAMPLER_NESTED, SAMPLER_NUTS };
enum { OUTSIDE_REFUSE, OUTSIDE_SOLVE };
enum { NET_ROWS = 24 }; /* parameter rows that go through the network together */

typedef struct options {
    double redshift;
    int grid, systematic_scatter, sampler, moves, quiet, ssa, pairs, outside, model_error, reweigh, resume, device;
    long walkers, steps, burn, live, sweeps, calls, threads, draws, calibrate;
    uint64_t seed;
    double confidence, min_ess, evidence_error;
    option_list fix;
    const char *prior, *out, *model, *compare, *ebl;
} options;

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
} memory;

typedef struct problem {
    const options *opt;
    sed_table sed;
    double *nu, *log_data;       /* [sed.n] frequency; log10 nuFnu */
    ebl_table ebl;               /* --ebl; empty without */
    double *fade;                /* [sed.n] log10 of what the EBL leaves of the flux, <= 0 */
    double value[N_PAR];         /* of the parameters that are fixed */
    int free_par[N_PAR], n_free; /* the others, in order */
    int n_model;                 /* free parameters of the solver: all but ln f, which stands last */
    bml_mcmc_prior *prior;       /* of the free parameters */
    int confines;                /* R and B can bound gamma_max: in the published ranges they cannot */
    bml_ssc *tables;
    bml_ssc_blob **blob; /* [threads] */
    int threads;
    device card; /* --device cuda: the solver, or the network, on it */
    device_solver card_solver;
    device_net card_net;
    long calls;           /* of the solver, or of the network where one stands in */
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
} problem;

/* ==== the model =================================================================================================== */

/* All parameters from the free ones. */
static void expand(double *full, const problem *p, const double *theta) {
    memcpy(full, p->value, sizeof p->value);
    for (int k = 0; k < p->n_free; k++)
        full[p->free_par[k]] = theta[k];
}

/* Highest log gamma_max: what the blob confines, and 8. */
static double gamma_top(const double *full) {
    const double top = ssc_row_confined(full); /* R and B stand first */
    return top < parameters[GAMMA_MAX].hi ? top : parameters[GAMMA_MAX].hi;
}

static int allowed(const double *full) {
    return full[GAMMA_MAX] >= full[GAMMA_MIN] + gamma_span && full[GAMMA_MAX] <= gamma_top(full);
}

/* Bounds of log gamma_max for the prior, which is flat over the allowed region. */
static void gamma_bounds(double *lower, double *upper, const double *theta, int i, void *user) {
    const problem *p = user;
    double full[N_PAR];
    memcpy(full, p->value, sizeof full);
    for (int k = 0; k < i; k++)
        full[p->free_par[k]] = theta[k];
    double top = p->confines ? gamma_top(full) : parameters[GAMMA_MAX].hi;
    if (full[GAMMA_MIN] + gamma_span > *lower) *lower = full[GAMMA_MIN] + gamma_span;
    if (top < *upper) *upper = top;
}

static bml_ssc_observer observer_of(const problem *p, const double *full) {
    bml_ssc_observer o = {.redshift = p->opt->redshift, .delta = pow(10, full[DELTA])};
    if (p->opt->ebl) o.ebl = &p->ebl.tau;
    return o;
}

static bml_ssc_source source_of(const problem *p, const double *full) {
    bml_ssc_source source = {.self_absorption = p->opt->ssa ? BML_SSC_SSA_HEATING : BML_SSC_SSA_OFF,
                             .pair_production = p->opt->pairs};
    bml_ssc_source_from_row(&source, full);
    return source;
}

static int solve(bml_ssc_blob *blob, const problem *p, const double *full) {
    const bml_ssc_source source = source_of(p, full);
    return bml_ssc_solve(blob, &source);
}

/* ln likelihood of model fluxes. */
static double ln_likelihood(const problem *p, const double *flux, const double *full) {
    double ln_l;
    int status = bml_ssc_log_likelihood(&ln_l, flux, p->sed.point, p->sed.n, full[LN_F]);
    return status ? (double)NAN : ln_l;
}

/* The same from log10 of the fluxes, y [sed.n]: what the network and the polynomial give. point: the data, perhaps with
   other errors. Detections need no exponential here, and one logarithm for sixteen. */
static double ln_likelihood_dex(const problem *p, const bml_ssc_point *point, const double *y, double ln_f) {
    const double f2 = exp(2 * ln_f);
    double chi2 = 0;
    double product = 1;
    double ln_v = 0;
    double ln_limits = 0;
    int n = 0;
    for (int i = 0; i < p->sed.n; i++) {
        if (point[i].upper_limit) {
            const double flux = exp(2.302585092994046 * fmin(y[i], 100));
            double ln_l;
            if (bml_ssc_log_likelihood(&ln_l, &flux, &point[i], 1, ln_f)) return (double)NAN;
            ln_limits += ln_l;
            continue;
        }
        const double r = y[i] - p->log_data[i];
        const double side = r > 0 ? point[i].sigma_hi : point[i].sigma_lo;
        const double v = side * side + f2;
        chi2 += r * r / v;
        product *= v;
        if (++n % 16 == 0) {
            ln_v += log(product);
            product = 1;
        }
    }
    ln_v += log(product) + 1.8378770664093453 * n; /* ln(2 pi) */
    return chi2 < HUGE_VAL ? ln_limits - 0.5 * (chi2 + ln_v) : chi2 >= HUGE_VAL ? -HUGE_VAL : (double)NAN;
}

/* ln likelihood of all parameters by the exact solver; dex [sed.n] out: log10 of the fluxes; *solved tells whether it
   was needed. */
static double exact(const problem *p, const double *full, double *dex, int *solved) {
    bml_ssc_blob *blob = p->blob[thread_number()];
    *solved = 0;
    if (!allowed(full)) return -HUGE_VAL;
    *solved = 1;
    int status = solve(blob, p, full);
    if (status && status != BML_SSC_NOT_CONVERGED) return -HUGE_VAL; /* the solver has no such source */
    bml_ssc_observer o = observer_of(p, full);
    if (bml_ssc_sed(dex, p->nu, p->sed.n, blob, &o, BML_SSC_TOTAL)) return (double)NAN;
    const double ln_l = ln_likelihood(p, dex, full);
    for (int i = 0; i < p->sed.n; i++)
        dex[i] = log10(dex[i]);
    return ln_l;
}

/* Keep an answer, dex [sed.n]; where flux hardly matters it is cut off, so that the polynomial need not follow it to
   zero. */
static void remember(problem *p, const double *theta, const double *dex, double ln_p) {
    memory *m = &p->learned;
    int n = p->sed.n;
    if (ln_p > m->best) m->best = ln_p;
    if (p->pin) ln_p = HUGE_VAL; /* where the polynomial was wrong enough to go */
    if (!(ln_p > m->best - 2 * learn_from)) return;
    if (m->n == m->capacity) {
        m->capacity = m->capacity ? 2 * m->capacity : 4096;
        m->theta = realloc(m->theta, (size_t)m->capacity * (size_t)p->n_model * sizeof(double));
        m->dex = realloc(m->dex, (size_t)m->capacity * (size_t)n * sizeof(double));
        m->ln_p = realloc(m->ln_p, (size_t)m->capacity * sizeof(double));
        if (!m->theta || !m->dex || !m->ln_p) fail("fit_sed: out of memory");
    }
    memcpy(m->theta + m->n * p->n_model, theta, (size_t)p->n_model * sizeof(double));
    for (int k = 0; k < n; k++) {
        const bml_ssc_point *point = &p->sed.point[k];
        const double low = p->log_data[k] - (point->upper_limit ? 1 : 3);
        m->dex[m->n * n + k] = dex[k] > low ? dex[k] : low;
    }
    m->ln_p[m->n++] = ln_p;
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
    if (!source || !delta || !flux || !row || !solved) fail("fit_sed: out of memory");
    for (int i = 0; i < n; i++) {
        if (!(lp[i] > -HUGE_VAL)) continue;
        expand(full, p, theta + i * n_dim);
        lp[i] = allowed(full) ? lp[i] : -HUGE_VAL;
        if (!allowed(full)) continue;
        source[asked] = source_of(p, full);
        delta[asked] = pow(10, full[DELTA]);
        row[asked++] = i;
    }
    const device_spectra job = {source, delta, p->nu, p->opt->redshift, asked, p->sed.n};
    if (asked) device_solve(flux, solved, &job, &p->card_solver);
    for (int j = 0; j < asked; j++) {
        const int i = row[j];
        for (size_t k = 0; p->opt->ebl && k < n_nu; k++)
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
    if (device_ready(&p->card)) return device_solver_rows(lp, dex, theta, n, n_dim, p);
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(p->threads) reduction(+ : calls)
#endif
    for (int i = 0; i < n; i++) {
        double full[N_PAR];
        int solved = 0;
        if (!(lp[i] > -HUGE_VAL)) continue;
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
        if (!(prior > -HUGE_VAL) || !allowed(full)) continue;
        response_at(dex, &p->response, theta + i * n_dim);
        lp[i] = prior + ln_likelihood_dex(p, p->sed.point, dex, full[LN_F]) / p->warmth;
        if (!(lp[i] > -1e300)) lp[i] = -HUGE_VAL;
    }
}

/* ==== the network in the solver's place =========================================================================== */

/* The parameters of the solver's row that the network is asked for; NULL, or why it must not be. */
static const char *net_outside(const problem *p, const double *full) {
    return surrogate_outside(&p->net.domain, full); /* R ... P stand first, in the row's order */
}

/* ln likelihood of point i, for model flux log10_F, and its derivatives. The formula of bml_ssc_log_likelihood. */
typedef struct slope_point {
    double by_flux, by_ln_f; /* d/d(log10 F), d/d(ln f) */
} slope_point;

static slope_point ln_likelihood_slope(const bml_ssc_point *d, double log_data, double log10_F, double ln_f) {
    slope_point s = {0, 0};
    if (d->upper_limit) {
        const double sigma = d->sigma_hi > 0 ? d->sigma_hi : d->nuFnu / 1.6448536269514722;
        const double F = pow(10, log10_F);
        const double t = (d->nuFnu - F) / sigma;
        /* phi(t)/Phi(t), which is -t far below the limit's other side */
        const double mills = t > -30 ? exp(-0.5 * t * t) / (1.2533141373155003 * erfc(-t / 1.4142135623730951)) : -t;
        s.by_flux = -2.302585092994046 * F / sigma * mills;
        return s;
    }
    const double r = log10_F - log_data;
    const double side = r > 0 ? d->sigma_hi : d->sigma_lo;
    const double f2 = exp(2 * ln_f);
    const double v = side * side + f2;
    s.by_flux = -r / v;
    s.by_ln_f = f2 * (r * r / v - 1) / v;
    return s;
}

/* The data as the network should see them: its own error, at the energies it is asked for, joins the quoted ones. */
static const bml_ssc_point *net_points(const problem *p, net_desk *k, const double *full) {
    if (!p->opt->model_error) return p->sed.point;
    for (int i = 0; i < p->sed.n; i++) {
        bml_ssc_point *d = &k->point[i];
        const double e = surrogate_error_at(&p->net, p->log10_x[i] - full[DELTA]);
        *d = p->sed.point[i];
        if (d->upper_limit) {
            const double sigma = d->sigma_hi > 0 ? d->sigma_hi : d->nuFnu / 1.6448536269514722;
            d->sigma_hi = hypot(sigma, 2.302585092994046 * e * d->nuFnu);
        } else {
            d->sigma_lo = hypot(d->sigma_lo, e);
            d->sigma_hi = hypot(d->sigma_hi, e);
        }
    }
    return k->point;
}

/* ln likelihood of one row from its nodes; y [sed.n] out: log10 of the fluxes. */
static double net_likelihood(double *y, const problem *p, net_desk *k, int row, const double *full) {
    const float *node = k->node + (size_t)row * bml_nn_n_out(p->net.net);
    const double scale = p->log10_area + full[R] + 4 * full[DELTA];
    for (int i = 0; i < p->sed.n; i++)
        y[i] = p->fade[i] + scale + surrogate_at(&p->net, &k->frame[row], node, p->log10_x[i] - full[DELTA]);
    return ln_likelihood_dex(p, net_points(p, k, full), y, full[LN_F]);
}

/* Its gradient by all parameters but those that act through the network's inputs: those go to d_node of the row. y:
   from net_likelihood. */
static void net_gradient(double *d_full, const problem *p, net_desk *k, int row, const double *y, const double *full) {
    const size_t n_out = bml_nn_n_out(p->net.net);
    const float *node = k->node + (size_t)row * n_out;
    const bml_ssc_point *point = net_points(p, k, full);
    memset(d_full, 0, N_PAR * sizeof *d_full);
    for (int i = 0; i < p->sed.n; i++) {
        if (!(y[i] > -HUGE_VAL)) continue; /* a limit that nothing reaches */
        const slope_point g = ln_likelihood_slope(&point[i], p->log_data[i], y[i], full[LN_F]);
        const double by_x = surrogate_back(k->d_node + (size_t)row * n_out, d_full, &p->net, &k->frame[row], node,
                                           p->log10_x[i] - full[DELTA], g.by_flux);
        d_full[R] += g.by_flux;
        d_full[DELTA] += g.by_flux * (4 - by_x);
        d_full[LN_F] += g.by_ln_f;
    }
}

/* What the network is told of a row; 0 where it must not be asked: it then hears of another one. */
static int net_ask(surrogate_frame *f, float *input, const problem *p, const double *row) {
    static const double harmless[N_PAR] = {16, 0, 2, 6, -3, 2, 0, 0};
    const int inside = allowed(row) && !net_outside(p, row);
    surrogate_place(f, input, p->net.kind, p->net.grid, inside ? row : harmless);
    return inside;
}

/* ln likelihoods of n <= NET_ROWS points of all parameters, full [n][N_PAR], their gradients d_full [n][N_PAR] unless
   NULL, and dex [n][sed.n]. */
static void net_block(double *ln_l, double *d_full, double *dex, const double *full, int n, problem *p, net_desk *k) {
    const size_t n_in = bml_nn_n_in(p->net.net);
    const size_t n_out = bml_nn_n_out(p->net.net);
    int inside[NET_ROWS];
    int status = BML_NN_OK;
    for (int i = 0; i < n; i++)
        inside[i] = net_ask(&k->frame[i], k->input + (size_t)i * n_in, p, full + i * N_PAR);
    if (k->given)
        memcpy(k->node, k->given, (size_t)n * n_out * sizeof *k->node);
    else
        status = bml_nn_predict(p->net.net, k->work, k->node, k->input, (size_t)n);
    if (d_full) memset(k->d_node, 0, (size_t)n * n_out * sizeof *k->d_node);
    int solved;
    for (int i = 0; i < n; i++) {
        const double *row = full + i * N_PAR;
        ln_l[i] = -HUGE_VAL;
        if (inside[i])
            ln_l[i] = net_likelihood(dex + i * p->sed.n, p, k, i, row);
        else if (p->opt->outside == OUTSIDE_SOLVE && allowed(row))
            ln_l[i] = exact(p, row, dex + i * p->sed.n, &solved);
        if (d_full && inside[i]) net_gradient(d_full + i * N_PAR, p, k, i, dex + i * p->sed.n, row);
    }
    if (d_full && !status) status = bml_nn_vjp(p->net.net, k->work, k->d_input, NULL, k->d_node, k->input, (size_t)n);
    for (int i = 0; d_full && i < n; i++)
        for (int j = 0; j < SSC_ROW; j++)
            d_full[i * N_PAR + j] += (double)k->d_input[(size_t)i * n_in + (size_t)j];
    if (status) fail("fit_sed: %s: %s", p->opt->model, bml_nn_strerror(status));
}

/* Rows of a block: few enough that all threads have one, no fewer than pay for the network's weights. */
static int net_block_rows(const problem *p, int n) {
    const int share = (n + p->threads - 1) / p->threads;
    return share < 8 ? 8 : share < NET_ROWS ? share : NET_ROWS;
}

/* What the network says of n points, [n][n_out], from the device; yours to free. */
static float *device_nodes(const double *theta, int n, int n_dim, const problem *p) {
    const size_t n_in = bml_nn_n_in(p->net.net);
    const size_t room = (size_t)n + 1;
    float *node = malloc(room * bml_nn_n_out(p->net.net) * sizeof *node);
    float *input = malloc(room * n_in * sizeof *input);
    double full[N_PAR];
    if (!node || !input) fail("fit_sed: out of memory");
    surrogate_frame f;
    for (int i = 0; i < n; i++) {
        expand(full, p, theta + i * n_dim);
        net_ask(&f, input + (size_t)i * n_in, p, full);
    }
    device_predict(node, input, (size_t)n, &p->card_net);
    free(input);
    return node;
}

/* solver_rows with the network; threads over blocks of rows. */
static long net_rows(double *lp, double *dex, const double *theta, int n, int n_dim, problem *p) {
    const int block = net_block_rows(p, n);
    float *node = device_ready(&p->card) ? device_nodes(theta, n, n_dim, p) : NULL;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(p->threads) if (n > block)
#endif
    for (int from = 0; from < n; from += block) {
        const int count = n - from < block ? n - from : block;
        double full[NET_ROWS * N_PAR];
        double ln_l[NET_ROWS];
        for (int i = 0; i < count; i++)
            expand(full + i * N_PAR, p, theta + (from + i) * n_dim);
        net_desk *k = &p->desk[thread_number()];
        k->given = node ? node + (size_t)from * bml_nn_n_out(p->net.net) : NULL;
        net_block(ln_l, NULL, dex + from * p->sed.n, full, count, p, k);
        k->given = NULL;
        for (int i = 0; i < count; i++)
            if (lp[from + i] > -HUGE_VAL) lp[from + i] += ln_l[i];
    }
    free(node);
    return n;
}

/* ==== evaluate: which of them is asked ============================================================================ */

/* 1: posteriors are the network's, not the solver's. */
static int by_network(const problem *p) {
    return p->net.net && !p->solver_judges;
}

/* ln likelihoods, and with_prior = 1 ln posteriors, of n points. */
static void evaluate(double *lp, const double *theta, int n, int n_dim, problem *p, int with_prior) {
    for (int from = 0; from < n; from += p->dex_rows) {
        const int count = n - from < p->dex_rows ? n - from : p->dex_rows;
        const double *at = theta + from * n_dim;
        for (int i = 0; i < count; i++)
            lp[from + i] = with_prior ? bml_mcmc_prior_log_density(p->prior, at + i * n_dim) : 0;
        p->calls += (by_network(p) ? net_rows : solver_rows)(lp + from, p->dex, at, count, n_dim, p);
        for (int i = 0; p->remember && i < count; i++)
            if (lp[from + i] > -HUGE_VAL) remember(p, at + i * n_dim, p->dex + i * p->sed.n, lp[from + i]);
    }
}

/* The callbacks of the ensemble and of nested sampling. */
static void log_prob(double *lp, const double *theta, int n, int n_dim, void *user) {
    evaluate(lp, theta, n, n_dim, user, 1);
}
static void log_likelihood(double *ln_l, const double *theta, int n, int n_dim, void *user) {
    evaluate(ln_l, theta, n, n_dim, user, 0);
}

/* ==== setting up ================================================================================================== */

static void net_close(problem *p) {
    for (int i = 0; p->desk && i < p->threads; i++) {
        bml_nn_work_free(p->desk[i].work);
        free(p->desk[i].node);
        free(p->desk[i].d_node);
        free(p->desk[i].point);
        free(p->desk[i].flux);
    }
    free(p->desk);
    free(p->log10_x);
    surrogate_free(&p->net);
}

/* Reads the model, and refuses one of other physics than was asked for. */
static void net_open(problem *p) {
    const options *opt = p->opt;
    char err[ERROR_SIZE];
    if (surrogate_load(&p->net, opt->model, err)) fail("%s", err);
    if (p->net.self_absorption != opt->ssa || p->net.pair_production != opt->pairs)
        fail("%s: was trained with %s: ask for the same with --ssa and --gg", opt->model,
             surrogate_physics[p->net.self_absorption + 2 * p->net.pair_production]);
    if (p->net.grid != (opt->grid ? BML_SSC_ATHENA : BML_SSC_CONVERGED))
        fail("%s: was trained on the grid '%s': ask for the same with --grid", opt->model,
             surrogate_grids[p->net.grid]);
    if (p->net.grid == BML_SSC_ATHENA && opt->sampler == SAMPLER_NUTS)
        fail("fit_sed: --sampler nuts needs a model of the converged grid: the other one's spectra move in steps");
    const size_t n_out = bml_nn_n_out(p->net.net);
    const size_t n = (size_t)p->sed.n;
    p->desk = calloc((size_t)p->threads, sizeof *p->desk);
    p->log10_x = malloc(n * sizeof *p->log10_x);
    if (!p->desk || !p->log10_x) fail("fit_sed: out of memory");
    for (int i = 0; i < p->threads; i++) {
        net_desk *k = &p->desk[i];
        k->node = malloc(NET_ROWS * n_out * sizeof *k->node);
        k->d_node = malloc(NET_ROWS * n_out * sizeof *k->d_node);
        k->point = malloc(n * sizeof *k->point);
        k->flux = malloc(n * sizeof *k->flux);
        if (!k->node || !k->d_node || !k->point || !k->flux ||
            bml_nn_work_create(&k->work, p->net.net, NET_ROWS, 1, NULL))
            fail("fit_sed: out of memory");
    }
}

/* Reads --ebl, which must know the redshift and reach all points. */
static void ebl_observe(problem *p) {
    const char *path = p->opt->ebl;
    char err[ERROR_SIZE];
    if (!path) return;
    if (ebl_read(&p->ebl, path, err)) fail("%s", err);
    const bml_ssc_ebl *e = &p->ebl.tau;
    if (!(p->opt->redshift >= e->z[0] && p->opt->redshift <= e->z[e->n_z - 1]))
        fail("%s: redshifts %g ... %g: the source, at %g, is outside", path, e->z[0], e->z[e->n_z - 1],
             p->opt->redshift);
    for (int i = 0; i < p->sed.n; i++) {
        double tau = 0;
        if (bml_ssc_ebl_depth(&tau, e, p->opt->redshift, p->nu[i]))
            fail("%s: ends at %.4g Hz: a point of the table lies at %.4g Hz", path, pow(10, e->log10_nu[e->n_nu - 1]),
                 p->nu[i]);
        p->fade[i] = -tau / 2.302585092994046;
    }
}

/* Where the observer stands: once the redshift is known. (12) and (13) of bml_ssc.h. */
static void net_observe(problem *p) {
    const double h_over_mc2 = 6.62607015e-27 / 8.1871057769e-7;
    const double z = p->opt->redshift;
    const double distance = bml_ssc_luminosity_distance(z, 70, 0.3);
    for (int i = 0; i < p->sed.n; i++)
        p->log10_x[i] = log10(p->nu[i] * (1 + z) * h_over_mc2);
    p->log10_area = log10(8.1871057769e-7 * 2.99792458e10 / (3 * 6.6524587321e-25)) - 2 * log10(distance);
}

static int parameter_index(const char *name, size_t length) {
    for (int k = 0; k < N_PAR; k++)
        if (strlen(parameters[k].name) == length && !strncmp(parameters[k].name, name, length)) return k;
    return -1;
}

/* --fix name=value, and --no-systematic-scatter. Fills value, free_par, n_free, n_model. */
static void fix_parameters(problem *p) {
    int fixed[N_PAR] = {0};
    for (int i = 0; i < p->opt->fix.n; i++) {
        const char *item = p->opt->fix.item[i];
        const char *equals = strchr(item, '=');
        int k = equals ? parameter_index(item, (size_t)(equals - item)) : -1;
        if (k < 0)
            fail("fit_sed: --fix %s: must be NAME=VALUE with NAME one of log_R, log_B, log_gamma_min, log_gamma_max, "
                 "log_l_e, p, log_delta, ln_f",
                 item);
        const char *wrong;
        if ((wrong = read_real(&p->value[k], equals + 1)) != NULL)
            fail("fit_sed: --fix %s: '%s' %s", item, equals + 1, wrong);
        if (!(p->value[k] >= parameters[k].lo && p->value[k] <= parameters[k].hi))
            fail("fit_sed: --fix %s: outside %g ... %g", item, parameters[k].lo, parameters[k].hi);
        fixed[k] = 1;
    }
    if (!p->opt->systematic_scatter) {
        fixed[LN_F] = 1;
        p->value[LN_F] = -HUGE_VAL;
    }
    for (int k = 0; k < N_PAR; k++)
        if (!fixed[k]) p->free_par[p->n_free++] = k;
    p->n_model = p->n_free - !fixed[LN_F];
    if (p->n_model < 1) fail("fit_sed: at least one parameter of the source must be free");
}

/* Uniform in the published ranges, or as --prior says; flat where gamma_max may be. */
static void make_prior(problem *p) {
    bml_mcmc_prior_param row[N_PAR] = {{0}};
    prior_file file = {0};
    char err[ERROR_SIZE];
    const char *names[N_PAR];
    const double weakest[2] = {parameters[R].lo, parameters[B].lo}; /* R and B bound gamma_max only if they can */
    p->confines = p->opt->prior || ssc_row_confined(weakest) < parameters[GAMMA_MAX].hi;
    for (int k = 0; k < N_PAR; k++)
        names[k] = parameters[k].name;
    if (p->opt->prior && (prior_read(&file, p->opt->prior, err) || prior_check_names(&file, names, N_PAR, err)))
        fail("%s", err);
    for (int i = 0; i < file.n; i++) {
        int k = 0;
        while (k < p->n_free && strcmp(file.row[i].name, parameters[p->free_par[k]].name))
            k++;
        if (k == p->n_free)
            fail("%s:%ld: '%s' is held by --fix or --no-systematic-scatter", file.name, file.row[i].line,
                 file.row[i].name);
    }
    for (int i = 0; i < p->n_free; i++) {
        int k = p->free_par[i];
        const prior_row *given = prior_find(&file, parameters[k].name);
        row[i].lower = parameters[k].lo;
        row[i].upper = parameters[k].hi;
        if (given) PRIOR_PARAM(&row[i], given);
        row[i].user = p;
        if (k == GAMMA_MAX) row[i].bounds = gamma_bounds;
        if (k == GAMMA_MIN || ((k == R || k == B) && p->confines)) row[i].joint = 1;
    }
    if (p->free_par[0] == GAMMA_MAX) row[0].bounds = NULL; /* nothing before it to depend on: allowed() still holds */
    char why[BML_MCMC_MESSAGE];
    int status = bml_mcmc_prior_create(&p->prior, row, p->n_free, why);
    if (status) fail("fit_sed: prior: %s %s", bml_mcmc_strerror(status), why);
    prior_free(&file);
}

static void set_up(problem *p, const options *opt, const char *file) {
    bml_ssc_config config = {.grid = opt->grid ? BML_SSC_ATHENA : BML_SSC_CONVERGED};
    char err[ERROR_SIZE];
    memset(p, 0, sizeof *p);
    p->opt = opt;
    p->learned.best = -HUGE_VAL;
    p->warmth = 1;
    const sed_options how = {.confidence = opt->confidence};
    if (sed_read(&p->sed, file, &how, err)) fail("%s", err);
    fix_parameters(p);
    make_prior(p);
    p->threads = threads_or_all(opt->threads);
    p->dex_rows = 4000000 / p->sed.n;
    if (p->dex_rows > 4096) p->dex_rows = 4096;
    if (p->dex_rows < p->threads) p->dex_rows = p->threads;
    p->nu = malloc((size_t)p->sed.n * sizeof *p->nu);
    p->log_data = malloc((size_t)p->sed.n * sizeof *p->log_data);
    p->fade = calloc((size_t)p->sed.n, sizeof *p->fade);
    p->dex = malloc((size_t)p->dex_rows * (size_t)p->sed.n * sizeof *p->dex);
    p->scratch = malloc((size_t)p->threads * (size_t)p->sed.n * sizeof *p->scratch);
    p->blob = calloc((size_t)p->threads, sizeof(bml_ssc_blob *));
    if (!p->nu || !p->log_data || !p->fade || !p->dex || !p->scratch || !p->blob) fail("fit_sed: out of memory");
    char why[BML_SSC_MESSAGE];
    if (bml_ssc_create(&p->tables, &config, why)) fail("fit_sed: %s", why);
    for (int i = 0; i < p->threads; i++)
        if (bml_ssc_blob_create(&p->blob[i], p->tables, why)) fail("fit_sed: %s", why);
    for (int i = 0; i < p->sed.n; i++) {
        p->nu[i] = p->sed.point[i].nu;
        p->log_data[i] = log10(p->sed.point[i].nuFnu);
    }
    if (opt->model) net_open(p);
    device_open(&p->card, opt->device, "fit_sed");
    if (!device_ready(&p->card)) return;
    device_solver_open(&p->card_solver, &p->card, (int)config.grid);
    if (opt->model) device_net_open(&p->card_net, &p->card, p->net.net);
}

static void clean_up(problem *p) {
    device_net_close(&p->card_net);
    device_solver_close(&p->card_solver);
    device_close(&p->card);
    net_close(p);
    for (int i = 0; i < p->threads; i++)
        bml_ssc_blob_free(p->blob[i]);
    bml_ssc_free(p->tables);
    bml_mcmc_prior_free(p->prior);
    response_free(&p->response);
    sed_free(&p->sed);
    ebl_free(&p->ebl);
    free(p->fade);
    free(p->blob);
    free(p->nu);
    free(p->log_data);
    free(p->dex);
    free(p->scratch);
    free(p->archive);
    free(p->learned.theta);
    free(p->learned.dex);
    free(p->learned.ln_p);
}
#endif
