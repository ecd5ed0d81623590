/* fit_sed: a table of a blazar's fluxes in, the posterior of a synchrotron self-Compton source out.

     build/fit_sed examples/data/3hsp_j095507.csv --redshift 0.557 --out fit

   1. draw from the prior and keep the best (search);
   2. let an ensemble of walkers climb, leaving behind those that are stuck, and fit a polynomial to what the solver
      answered on the way (climb);
   3. sample: walkers take dozens of steps on the polynomial, and the exact solver judges where they end (sample). The
      result is the posterior of the exact solver; the polynomial decides only how fast it comes (see BML_MCMC_SURROGATE).
      Where the polynomial is too low, walkers arrive seldom and stay long; plain moves between keep such places open;
   4. run until every parameter has 50 autocorrelation times, then write tables, chains and pictures (report).

   With --sampler nested the exact solver alone is asked, from the prior inwards, and the evidence comes with the posterior.
   With --model FILE a network of train_surrogate stands in for the solver all the way, and its gradients make --sampler nuts
   possible; in the end the solver is asked at some thousand draws how far the network was off. */
#include "common.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#include "sed.h"
#include "surrogate.h"
#ifdef _OPENMP
#include <omp.h>
#endif

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
    int grid, systematic_scatter, sampler, moves, quiet, ssa, pairs, outside, model_error;
    long walkers, steps, burn, live, calls, threads, draws, calibrate;
    uint64_t seed;
    double confidence, min_ess, evidence_error;
    option_list fix;
    const char *prior, *out, *model, *compare;
} options;

/* What one thread needs to ask the network. */
typedef struct net_desk {
    bml_nn_work *work;
    surrogate_frame frame[NET_ROWS];
    float input[NET_ROWS * SURROGATE_INPUTS], d_input[NET_ROWS * SURROGATE_INPUTS];
    float *node, *d_node;   /* [NET_ROWS][n_out] */
    bml_ssc_point *point;   /* [sed.n] with the network's own error added */
    double *flux;           /* [sed.n] */
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
    double value[N_PAR];         /* of the parameters that are fixed */
    int free_par[N_PAR], n_free; /* the others, in order */
    int n_model;                 /* free parameters of the solver: all but ln f, which stands last */
    bml_mcmc_prior *prior;       /* of the free parameters */
    int confines;                /* R and B can bound gamma_max: in the published ranges they cannot */
    bml_ssc *tables;
    bml_ssc_blob **blob;         /* [threads] */
    int threads;
    long calls;                  /* of the solver, or of the network where one stands in */
    surrogate net;               /* --model; net.net is NULL without */
    net_desk *desk;              /* [threads] */
    double *log10_x;             /* [sed.n] of the points, comoving, for delta = 1 */
    double log10_area;           /* log10 of (nu F_nu)/(x^2 n R delta^4) */
    double *dex;                 /* [dex_rows][sed.n] log10 fluxes of the call under way */
    int dex_rows;
    double *scratch;             /* [threads][sed.n] */
    memory learned;
    int remember, pin;           /* keep solver answers; keep them however far from the best */
    double warmth;               /* the polynomial's likelihood is taken to the power 1/warmth */
    double *archive;             /* [archive_n][n_free] sample of the polynomial's posterior */
    int archive_n;
    response response;
} problem;

/* ==== the model =================================================================================================== */

static int thread_number(void) {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

/* All parameters from the free ones. */
static void expand(double *full, const problem *p, const double *theta) {
    memcpy(full, p->value, sizeof p->value);
    for (int k = 0; k < p->n_free; k++) full[p->free_par[k]] = theta[k];
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
    double full[N_PAR], top;
    memcpy(full, p->value, sizeof full);
    for (int k = 0; k < i; k++) full[p->free_par[k]] = theta[k];
    top = p->confines ? gamma_top(full) : parameters[GAMMA_MAX].hi;
    if (full[GAMMA_MIN] + gamma_span > *lower) *lower = full[GAMMA_MIN] + gamma_span;
    if (top < *upper) *upper = top;
}

static bml_ssc_observer observer_of(const problem *p, const double *full) {
    bml_ssc_observer o = {.redshift = p->opt->redshift, .delta = pow(10, full[DELTA])};
    return o;
}

static int solve(bml_ssc_blob *blob, const problem *p, const double *full) {
    bml_ssc_source source = {.self_absorption = p->opt->ssa ? BML_SSC_SSA_HEATING : BML_SSC_SSA_OFF,
                             .pair_production = p->opt->pairs};
    bml_ssc_source_from_row(&source, full);
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
    double chi2 = 0, product = 1, ln_v = 0, ln_limits = 0;
    int n = 0;
    for (int i = 0; i < p->sed.n; i++) {
        if (point[i].upper_limit) {
            const double flux = exp(2.302585092994046 * fmin(y[i], 100));
            double ln_l;
            if (bml_ssc_log_likelihood(&ln_l, &flux, &point[i], 1, ln_f)) return (double)NAN;
            ln_limits += ln_l;
            continue;
        }
        const double r = y[i] - p->log_data[i], side = r > 0 ? point[i].sigma_hi : point[i].sigma_lo, v = side * side + f2;
        chi2 += r * r / v;
        product *= v;
        if (++n % 16 == 0) ln_v += log(product), product = 1;
    }
    ln_v += log(product) + 1.8378770664093453 * n; /* ln(2 pi) */
    return chi2 < HUGE_VAL ? ln_limits - 0.5 * (chi2 + ln_v) : chi2 >= HUGE_VAL ? -HUGE_VAL : (double)NAN;
}

/* ln likelihood of all parameters by the exact solver; dex [sed.n] out: log10 of the fluxes; *solved tells whether it was
   needed. */
static double exact(const problem *p, const double *full, double *dex, int *solved) {
    bml_ssc_blob *blob = p->blob[thread_number()];
    bml_ssc_observer o;
    int status;
    *solved = 0;
    if (!allowed(full)) return -HUGE_VAL;
    *solved = 1;
    status = solve(blob, p, full);
    if (status && status != BML_SSC_NOT_CONVERGED) return -HUGE_VAL; /* the solver has no such source */
    o = observer_of(p, full);
    if (bml_ssc_sed(dex, p->nu, p->sed.n, blob, &o, BML_SSC_TOTAL)) return (double)NAN;
    const double ln_l = ln_likelihood(p, dex, full);
    for (int i = 0; i < p->sed.n; i++) dex[i] = log10(dex[i]);
    return ln_l;
}

/* Keep an answer, dex [sed.n]; where flux hardly matters it is cut off, so that the polynomial need not follow it to zero. */
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

/* lp [n] holds ln prior densities (0 for none) at theta [n][n_dim]; where they are finite the ln likelihood is added.
   dex [n][sed.n] out. Threads over points. Returns how often the solver was called. */
static long solver_rows(double *lp, double *dex, const double *theta, int n, int n_dim, problem *p) {
    long calls = 0;
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
        double full[N_PAR], *dex = p->scratch + thread_number() * p->sed.n,
                            prior = bml_mcmc_prior_log_density(p->prior, theta + i * n_dim);
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
        const double F = pow(10, log10_F), t = (d->nuFnu - F) / sigma;
        /* phi(t)/Phi(t), which is -t far below the limit's other side */
        const double mills = t > -30 ? exp(-0.5 * t * t) / (1.2533141373155003 * erfc(-t / 1.4142135623730951)) : -t;
        s.by_flux = -2.302585092994046 * F / sigma * mills;
        return s;
    }
    const double r = log10_F - log_data, side = r > 0 ? d->sigma_hi : d->sigma_lo, f2 = exp(2 * ln_f);
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
        } else d->sigma_lo = hypot(d->sigma_lo, e), d->sigma_hi = hypot(d->sigma_hi, e);
    }
    return k->point;
}

/* ln likelihood of one row from its nodes; y [sed.n] out: log10 of the fluxes. */
static double net_likelihood(double *y, const problem *p, net_desk *k, int row, const double *full) {
    const float *node = k->node + (size_t)row * bml_nn_n_out(p->net.net);
    const double scale = p->log10_area + full[R] + 4 * full[DELTA];
    for (int i = 0; i < p->sed.n; i++)
        y[i] = scale + surrogate_at(&p->net, &k->frame[row], node, p->log10_x[i] - full[DELTA]);
    return ln_likelihood_dex(p, net_points(p, k, full), y, full[LN_F]);
}

/* Its gradient by all parameters but those that act through the network's inputs: those go to d_node of the row. */
static void net_gradient(double *d_full, const problem *p, net_desk *k, int row, const double *full) {
    const size_t n_out = bml_nn_n_out(p->net.net);
    const float *node = k->node + (size_t)row * n_out;
    const double scale = p->log10_area + full[R] + 4 * full[DELTA];
    const bml_ssc_point *point = net_points(p, k, full);
    memset(d_full, 0, N_PAR * sizeof *d_full);
    for (int i = 0; i < p->sed.n; i++) {
        const double x = p->log10_x[i] - full[DELTA], y = surrogate_at(&p->net, &k->frame[row], node, x);
        if (!(y > -HUGE_VAL)) continue; /* a limit that nothing reaches */
        const slope_point g = ln_likelihood_slope(&point[i], p->log_data[i], y + scale, full[LN_F]);
        const double by_x =
            surrogate_back(k->d_node + (size_t)row * n_out, d_full, &p->net, &k->frame[row], node, x, g.by_flux);
        d_full[R] += g.by_flux;
        d_full[DELTA] += g.by_flux * (4 - by_x);
        d_full[LN_F] += g.by_ln_f;
    }
}

/* ln likelihoods of n <= NET_ROWS points of all parameters, full [n][N_PAR], their gradients d_full [n][N_PAR] unless NULL,
   and dex [n][sed.n]. */
static void net_block(double *ln_l, double *d_full, double *dex, const double *full, int n, problem *p, net_desk *k) {
    const size_t n_in = bml_nn_n_in(p->net.net), n_out = bml_nn_n_out(p->net.net);
    static const double harmless[N_PAR] = {16, 0, 2, 6, -3, 2, 0, 0}; /* in the place of a row that is refused */
    int inside[NET_ROWS], solved;
    for (int i = 0; i < n; i++) {
        const double *row = full + i * N_PAR;
        inside[i] = allowed(row) && !net_outside(p, row);
        surrogate_place(&k->frame[i], k->input + (size_t)i * n_in, p->net.kind, p->net.grid, inside[i] ? row : harmless);
    }
    int status = bml_nn_predict(p->net.net, k->work, k->node, k->input, (size_t)n);
    if (d_full) memset(k->d_node, 0, (size_t)n * n_out * sizeof *k->d_node);
    for (int i = 0; i < n; i++) {
        const double *row = full + i * N_PAR;
        ln_l[i] = -HUGE_VAL;
        if (inside[i]) ln_l[i] = net_likelihood(dex + i * p->sed.n, p, k, i, row);
        else if (p->opt->outside == OUTSIDE_SOLVE && allowed(row)) ln_l[i] = exact(p, row, dex + i * p->sed.n, &solved);
        if (d_full && inside[i]) net_gradient(d_full + i * N_PAR, p, k, i, row);
    }
    if (d_full && !status)
        status = bml_nn_vjp(p->net.net, k->work, k->d_input, NULL, k->d_node, k->input, (size_t)n);
    for (int i = 0; d_full && i < n; i++)
        for (int j = 0; j < SSC_ROW; j++) d_full[i * N_PAR + j] += (double)k->d_input[(size_t)i * n_in + (size_t)j];
    if (status) fail("fit_sed: %s: %s", p->opt->model, bml_nn_strerror(status));
}

/* Rows of a block: few enough that all threads have one, no fewer than pay for the network's weights. */
static int net_block_rows(const problem *p, int n) {
    const int share = (n + p->threads - 1) / p->threads;
    return share < 8 ? 8 : share < NET_ROWS ? share : NET_ROWS;
}

/* solver_rows with the network; threads over blocks of rows. */
static long net_rows(double *lp, double *dex, const double *theta, int n, int n_dim, problem *p) {
    const int block = net_block_rows(p, n);
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(p->threads) if (n > block)
#endif
    for (int from = 0; from < n; from += block) {
        const int count = n - from < block ? n - from : block;
        double full[NET_ROWS * N_PAR], ln_l[NET_ROWS];
        for (int i = 0; i < count; i++) expand(full + i * N_PAR, p, theta + (from + i) * n_dim);
        net_block(ln_l, NULL, dex + from * p->sed.n, full, count, p, &p->desk[thread_number()]);
        for (int i = 0; i < count; i++)
            if (lp[from + i] > -HUGE_VAL) lp[from + i] += ln_l[i];
    }
    return n;
}

/* ln likelihoods, and with_prior = 1 ln posteriors, of n points. */
static void evaluate(double *lp, const double *theta, int n, int n_dim, problem *p, int with_prior) {
    for (int from = 0; from < n; from += p->dex_rows) {
        const int count = n - from < p->dex_rows ? n - from : p->dex_rows;
        const double *at = theta + from * n_dim;
        for (int i = 0; i < count; i++)
            lp[from + i] = with_prior ? bml_mcmc_prior_log_density(p->prior, at + i * n_dim) : 0;
        p->calls += (p->net.net ? net_rows : solver_rows)(lp + from, p->dex, at, count, n_dim, p);
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
        fail("%s: was trained on the grid '%s': ask for the same with --grid", opt->model, surrogate_grids[p->net.grid]);
    if (p->net.grid == BML_SSC_ATHENA && opt->sampler == SAMPLER_NUTS)
        fail("fit_sed: --sampler nuts needs a model of the converged grid: the other one's spectra move in steps");
    const size_t n_out = bml_nn_n_out(p->net.net), n = (size_t)p->sed.n;
    p->desk = calloc((size_t)p->threads, sizeof *p->desk);
    p->log10_x = malloc(n * sizeof *p->log10_x);
    if (!p->desk || !p->log10_x) fail("fit_sed: out of memory");
    for (int i = 0; i < p->threads; i++) {
        net_desk *k = &p->desk[i];
        k->node = malloc(NET_ROWS * n_out * sizeof *k->node);
        k->d_node = malloc(NET_ROWS * n_out * sizeof *k->d_node);
        k->point = malloc(n * sizeof *k->point);
        k->flux = malloc(n * sizeof *k->flux);
        if (!k->node || !k->d_node || !k->point || !k->flux || bml_nn_work_create(&k->work, p->net.net, NET_ROWS, 1))
            fail("fit_sed: out of memory");
    }
}

/* Where the observer stands: once the redshift is known. (12) and (13) of bml_ssc.h. */
static void net_observe(problem *p) {
    const double h_over_mc2 = 6.62607015e-27 / 8.1871057769e-7, z = p->opt->redshift;
    const double distance = bml_ssc_luminosity_distance(z, 70, 0.3);
    for (int i = 0; i < p->sed.n; i++) p->log10_x[i] = log10(p->nu[i] * (1 + z) * h_over_mc2);
    p->log10_area = log10(8.1871057769e-7 * 2.99792458e10 / (3 * 6.6524587321e-25)) - 2 * log10(distance);
}

/* ==== setting up ================================================================================================== */

static int parameter_index(const char *name, size_t length) {
    for (int k = 0; k < N_PAR; k++)
        if (strlen(parameters[k].name) == length && !strncmp(parameters[k].name, name, length)) return k;
    return -1;
}

/* --fix name=value, and --no-systematic-scatter. Fills value, free_par, n_free, n_model. */
static void fix_parameters(problem *p) {
    int fixed[N_PAR] = {0};
    for (int i = 0; i < p->opt->fix.n; i++) {
        const char *item = p->opt->fix.item[i], *equals = strchr(item, '='), *wrong;
        int k = equals ? parameter_index(item, (size_t)(equals - item)) : -1;
        if (k < 0)
            fail("fit_sed: --fix %s: must be NAME=VALUE with NAME one of log_R, log_B, log_gamma_min, log_gamma_max, "
                 "log_l_e, p, log_delta, ln_f",
                 item);
        if ((wrong = read_real(&p->value[k], equals + 1)) != NULL)
            fail("fit_sed: --fix %s: '%s' %s", item, equals + 1, wrong);
        if (!(p->value[k] >= parameters[k].lo && p->value[k] <= parameters[k].hi))
            fail("fit_sed: --fix %s: outside %g ... %g", item, parameters[k].lo, parameters[k].hi);
        fixed[k] = 1;
    }
    if (!p->opt->systematic_scatter) fixed[LN_F] = 1, p->value[LN_F] = -HUGE_VAL;
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
    int status;
    const double weakest[2] = {parameters[R].lo, parameters[B].lo}; /* R and B bound gamma_max only if they can */
    p->confines = p->opt->prior || ssc_row_confined(weakest) < parameters[GAMMA_MAX].hi;
    for (int k = 0; k < N_PAR; k++) names[k] = parameters[k].name;
    if (p->opt->prior && (prior_read(&file, p->opt->prior, err) || prior_check_names(&file, names, N_PAR, err)))
        fail("%s", err);
    for (int i = 0; i < file.n; i++) {
        int k = 0;
        while (k < p->n_free && strcmp(file.row[i].name, parameters[p->free_par[k]].name)) k++;
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
    status = bml_mcmc_prior_create(&p->prior, row, p->n_free);
    if (status) fail("fit_sed: prior: %s %s", bml_mcmc_strerror(status), bml_mcmc_prior_message(p->prior));
    prior_free(&file);
}

static void set_up(problem *p, const options *opt, const char *file) {
    bml_ssc_config config = {.grid = opt->grid ? BML_SSC_ATHENA : BML_SSC_CONVERGED};
    char err[ERROR_SIZE];
    memset(p, 0, sizeof *p);
    p->opt = opt;
    p->learned.best = -HUGE_VAL;
    p->warmth = 1;
    if (sed_read(&p->sed, file, opt->confidence, err)) fail("%s", err);
    fix_parameters(p);
    make_prior(p);
    p->threads = (int)opt->threads;
#ifdef _OPENMP
    if (p->threads == 0) p->threads = omp_get_max_threads();
#else
    p->threads = 1;
#endif
    p->dex_rows = 4000000 / p->sed.n;
    if (p->dex_rows > 4096) p->dex_rows = 4096;
    if (p->dex_rows < p->threads) p->dex_rows = p->threads;
    p->nu = malloc((size_t)p->sed.n * sizeof *p->nu);
    p->log_data = malloc((size_t)p->sed.n * sizeof *p->log_data);
    p->dex = malloc((size_t)p->dex_rows * (size_t)p->sed.n * sizeof *p->dex);
    p->scratch = malloc((size_t)p->threads * (size_t)p->sed.n * sizeof *p->scratch);
    p->blob = calloc((size_t)p->threads, sizeof(bml_ssc_blob *));
    if (!p->nu || !p->log_data || !p->dex || !p->scratch || !p->blob || bml_ssc_create(&p->tables, &config))
        fail("fit_sed: out of memory");
    for (int i = 0; i < p->threads; i++)
        if (bml_ssc_blob_create(&p->blob[i], p->tables)) fail("fit_sed: out of memory");
    for (int i = 0; i < p->sed.n; i++) p->nu[i] = p->sed.point[i].nu, p->log_data[i] = log10(p->sed.point[i].nuFnu);
    if (opt->model) net_open(p);
}

static void clean_up(problem *p) {
    net_close(p);
    for (int i = 0; i < p->threads; i++) bml_ssc_blob_free(p->blob[i]);
    bml_ssc_free(p->tables);
    bml_mcmc_prior_free(p->prior);
    response_free(&p->response);
    sed_free(&p->sed);
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

/* ==== search and climb ============================================================================================ */

/* The best of many draws from the prior, as start positions [walkers][n_free]. ln f starts at ln 0.5: a wide error finds
   the right neighbourhood first. */
static void search(double *start, problem *p) {
    enum { DRAWS = 4096 };
    int d = p->n_free, W = (int)p->opt->walkers, n = DRAWS > 8 * W ? DRAWS : 8 * W;
    double *theta = malloc((size_t)n * (size_t)d * sizeof *theta), *lp = malloc((size_t)n * sizeof *lp), cube[N_PAR];
    bml_mcmc_rng rng;
    if (!theta || !lp) fail("fit_sed: out of memory");
    bml_mcmc_rng_init(&rng, p->opt->seed, 0);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < d; k++) cube[k] = bml_mcmc_rng_uniform(&rng);
        if (bml_mcmc_prior_transform(p->prior, theta + i * d, cube)) fail("fit_sed: the prior leaves no room");
        if (p->n_model < d) { /* unless the prior will not have it */
            double drawn = theta[i * d + d - 1];
            theta[i * d + d - 1] = log(0.5) + 0.1 * bml_mcmc_rng_normal(&rng);
            if (!(bml_mcmc_prior_log_density(p->prior, theta + i * d) > -HUGE_VAL)) theta[i * d + d - 1] = drawn;
        }
    }
    log_prob(lp, theta, n, d, p);
    for (int w = 0; w < W; w++) {
        int best = 0;
        for (int i = 1; i < n; i++)
            if (lp[i] > lp[best]) best = i;
        if (!(lp[best] > -HUGE_VAL)) fail("fit_sed: no point of the prior gives a spectrum that reaches the data");
        memcpy(start + w * d, theta + best * d, (size_t)d * sizeof *theta);
        lp[best] = -HUGE_VAL;
    }
    free(theta);
    free(lp);
}

/* Fit the polynomial to what was learned near the best points; 0 when that worked. */
static int learn(problem *p) {
    memory *m = &p->learned;
    long kept = 0;
    for (long i = 0; i < m->n; i++) { /* points that have fallen behind are dropped for good */
        if (!(m->ln_p[i] > m->best - learn_from)) continue;
        memmove(m->theta + kept * p->n_model, m->theta + i * p->n_model, (size_t)p->n_model * sizeof(double));
        memmove(m->dex + kept * p->sed.n, m->dex + i * p->sed.n, (size_t)p->sed.n * sizeof(double));
        m->ln_p[kept++] = m->ln_p[i];
    }
    m->n = kept;
    response_free(&p->response);
    return response_fit(&p->response, m->theta, m->dex, kept, p->n_model, p->sed.n, 4);
}

/* Walkers far below the best start again between three good ones. Returns how many were moved. */
static int leave_stuck(double *theta, const bml_mcmc_ensemble_info *info, problem *p, bml_mcmc_rng *rng) {
    int W = info->n_walkers, d = info->n_dim, n_good = 0, n_bad = 0, *good = malloc(2 * (size_t)W * sizeof *good), *bad;
    double best = -HUGE_VAL, *trial = malloc((size_t)W * (size_t)d * sizeof *trial),
           *lp = malloc((size_t)W * sizeof *lp);
    if (!good || !trial || !lp) fail("fit_sed: out of memory");
    bad = good + W;
    memcpy(theta, info->theta, (size_t)W * (size_t)d * sizeof *theta);
    for (int w = 0; w < W; w++) best = fmax(best, info->log_prob[w]);
    for (int w = 0; w < W; w++) *(info->log_prob[w] > best - bad_by ? &good[n_good++] : &bad[n_bad++]) = w;
    int moved = n_bad;
    if (n_good == 0) n_bad = 0; /* ln p so large that its digits end above 15: nothing to tell them apart */
    for (int attempt = 0; attempt < 30 && n_bad > 0; attempt++) {
        int left = 0;
        for (int i = 0; i < n_bad; i++) {
            const double *c[3];
            for (int j = 0; j < 3; j++) c[j] = info->theta + good[(int)(bml_mcmc_rng_uniform(rng) * n_good)] * d;
            for (int k = 0; k < d; k++)
                trial[i * d + k] = c[0][k] + 0.3 * (c[1][k] - c[2][k]) + 1e-4 * bml_mcmc_rng_normal(rng);
        }
        log_prob(lp, trial, n_bad, d, p);
        for (int i = 0; i < n_bad; i++) {
            if (lp[i] > best - bad_by) memcpy(theta + bad[i] * d, trial + i * d, (size_t)d * sizeof *theta);
            else bad[left++] = bad[i];
        }
        n_bad = left;
    }
    free(good);
    free(trial);
    free(lp);
    return moved;
}

typedef struct setup { /* of an ensemble, beside what the problem says */
    const bml_mcmc_move *moves;
    int n_moves, thin, only_response;
    uint64_t seed; /* added to the user's */
    progress_bar *bar;
} setup;

static int show_progress(const bml_mcmc_progress *now, void *user) {
    char note[64];
    snprintf(note, sizeof note, "%.0f %% accepted", 100 * now->acceptance);
    progress_at(user, (double)now->step, note);
    return 0;
}

static bml_mcmc_ensemble *ensemble(problem *p, const double *start, const setup *s) {
    bml_mcmc_config config = {.n_dim = p->n_free,
                              .n_walkers = (int)p->opt->walkers,
                              .seed = p->opt->seed + s->seed,
                              .log_prob = s->only_response ? log_prob_response : log_prob,
                              .surrogate = p->response.coef ? log_prob_response : NULL,
                              .user = p,
                              .reference = p->archive_n ? p->archive : NULL,
                              .n_reference = p->archive_n,
                              .moves = s->moves,
                              .n_moves = s->n_moves,
                              .thin = s->thin,
                              .progress = s->bar ? show_progress : NULL,
                              .progress_user = s->bar};
    bml_mcmc_ensemble *e;
    int status = bml_mcmc_ensemble_create(&e, &config);
    if (!status) status = bml_mcmc_start_given(e, start);
    if (status) fail("fit_sed: %s: %s", bml_mcmc_strerror(status), bml_mcmc_ensemble_message(e));
    return e;
}

static void run(bml_mcmc_ensemble *e, long steps) {
    int status = bml_mcmc_run(e, (size_t)steps);
    if (status) fail("fit_sed: %s: %s", bml_mcmc_strerror(status), bml_mcmc_ensemble_message(e));
}

/* Stages and their proposals. */
enum { ARCHIVE = 8000, CHECKS = 1500, REFINE_ROUNDS = 10, REFINE_STEPS = 30 };
static const bml_mcmc_move plain_moves[] = {
    {BML_MCMC_STRETCH, 1, 0, 0}, {BML_MCMC_DE, 1, 0, 0}, {BML_MCMC_SNOOKER, 0.2, 0, 0}};
static const bml_mcmc_move explore_moves[] = {
    {BML_MCMC_STRETCH, 1, 0, 0}, {BML_MCMC_DE, 1, 0, 0}, {BML_MCMC_MIXTURE, 1, 0, 0}};
static const bml_mcmc_move screened_moves[] = {
    {BML_MCMC_SURROGATE, 0.6, 0, 60}, {BML_MCMC_STRETCH, 0.3, 0, 0}, {BML_MCMC_DE, 0.1, 0, 0}};

/* Climb with plain moves until the best point stands still, leaving stuck walkers behind. start
   [walkers][n_free] in and out. */
static void climb(double *start, problem *p, progress_bar *bar) {
    enum { ROUNDS = 30 };
    bml_mcmc_rng rng;
    double best = -HUGE_VAL;
    bml_mcmc_rng_init(&rng, p->opt->seed, 1);
    for (int round = 0, still = 0; round < ROUNDS && still < 3; round++) {
        bml_mcmc_ensemble *e =
            ensemble(p, start, &(setup){.moves = plain_moves, .n_moves = 3, .seed = 1000 + (uint64_t)round});
        bml_mcmc_ensemble_info info;
        double top = -HUGE_VAL;
        int stuck;
        run(e, 40);
        info = bml_mcmc_ensemble_get_info(e);
        for (int w = 0; w < info.n_walkers; w++) top = fmax(top, info.log_prob[w]);
        stuck = leave_stuck(start, &info, p, &rng);
        bml_mcmc_ensemble_free(e);
        still = top < best + 0.5 && stuck == 0 ? still + 1 : 0;
        best = fmax(best, top);
        progress_at(bar, round + 1, "climbing");
    }
}

/* A sample of the polynomial's posterior, ARCHIVE points [.][n_free] in p->archive, started from start and helped by the
   archive before it. */
static void explore(const double *start, problem *p, uint64_t seed) {
    int W = (int)p->opt->walkers, d = p->n_free;
    long thin = 10, keep = ARCHIVE / W + 1;
    setup s = {
        .moves = explore_moves, .n_moves = p->archive_n ? 3 : 2, .seed = seed, .only_response = 1, .thin = (int)thin};
    bml_mcmc_ensemble *e = ensemble(p, start, &s);
    bml_mcmc_chain chain;
    run(e, 2 * keep * thin); /* its first half is burn-in */
    chain = bml_mcmc_chain_drop(bml_mcmc_ensemble_chain(e), (size_t)keep);
    p->archive_n = (int)chain.n_steps * W;
    p->archive = realloc(p->archive, (size_t)p->archive_n * (size_t)d * sizeof(double));
    if (!p->archive) fail("fit_sed: out of memory");
    memcpy(p->archive, chain.theta, (size_t)p->archive_n * (size_t)d * sizeof(double));
    bml_mcmc_ensemble_free(e);
}

/* Ask the solver at CHECKS points of the archive and keep all its answers, to learn from. New start positions are
   drawn from these points by the ratio of exact to approximate density. */
static void check_archive(double *start, problem *p, bml_mcmc_rng *rng) {
    int d = p->n_free, W = (int)p->opt->walkers, n = p->archive_n < CHECKS ? p->archive_n : CHECKS;
    double *theta = malloc((size_t)n * (size_t)d * sizeof *theta), *lp = malloc(2 * (size_t)n * sizeof *lp),
           *ratio = lp + n;
    double top = -HUGE_VAL;
    if (!theta || !lp) fail("fit_sed: out of memory");
    for (int i = 0; i < n; i++)
        memcpy(theta + i * d, p->archive + (long)i * p->archive_n / n * d, (size_t)d * sizeof *theta);
    log_prob_response(ratio, theta, n, d, p);
    p->pin = 1;
    log_prob(lp, theta, n, d, p);
    p->pin = 0;
    for (int i = 0; i < n; i++) top = fmax(top, ratio[i] = lp[i] - ratio[i]);
    for (int i = 0; i < n; i++) ratio[i] = exp(ratio[i] - top);
    for (int w = 0; w < W; w++) { /* no point twice, though a walker that stood still left it twice in the archive */
        size_t bytes = (size_t)d * sizeof *theta;
        double left = 0, u;
        int i;
        for (i = 0; i < n; i++) left += ratio[i];
        if (!(left > 0)) break;
        for (i = 0, u = bml_mcmc_rng_uniform(rng) * left; i < n - 1 && (u -= ratio[i]) > 0; i++) continue;
        memcpy(start + w * d, theta + i * d, bytes);
        for (i = 0; i < n; i++)
            if (!memcmp(theta + i * d, start + w * d, bytes)) ratio[i] = 0;
    }
    free(theta);
    free(lp);
}

/* Rounds of learning, exploring and checking. A polynomial that is too low somewhere hides that place from its own
   posterior, so every other round explores with a warmer likelihood, and every round ends with exact steps from where the
   check found it too low. */
static void refine(double *start, problem *p, progress_bar *bar) {
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, p->opt->seed, 2);
    for (int round = 0; round < REFINE_ROUNDS; round++) {
        setup s = {.moves = screened_moves, .n_moves = 3, .seed = 3000 + (uint64_t)round};
        bml_mcmc_ensemble *e;
        if (learn(p)) return; /* too few points: plain moves it is */
        p->warmth = round % 2 ? 1 : 2;
        explore(start, p, 2000 + (uint64_t)round);
        check_archive(start, p, &rng);
        e = ensemble(p, start, &s);
        run(e, REFINE_STEPS);
        memcpy(start, bml_mcmc_ensemble_get_info(e).theta, (size_t)p->opt->walkers * (size_t)p->n_free * sizeof *start);
        bml_mcmc_ensemble_free(e);
        progress_at(bar, 30 + 1 + round, "learning");
        p->warmth = 1;
    }
    if (!learn(p)) explore(start, p, 2000 + REFINE_ROUNDS);
}

/* ==== sample ====================================================================================================== */

/* What a sampler leaves behind. */
typedef struct posterior {
    bml_mcmc_chain chain; /* of the free parameters; theta and log_prob are owned by the sampler, or by `own` */
    bml_mcmc_summary summary[N_PAR];
    double log_z, log_z_error;       /* NaN without nested sampling */
    long calls;                      /* of the solver, while sampling */
    int converged, markov;           /* markov: the chain has a tau */
    bml_mcmc_ensemble *ensemble;     /* or */
    bml_mcmc_nested *nested;
    double *own;
} posterior;

/* Runs until 50 autocorrelation times and min_ess, or the given steps. Returns the sampler's verdict. */
static int sample(bml_mcmc_ensemble *e, bml_mcmc_summary *s, const problem *p) {
    int status = BML_MCMC_NOT_CONVERGED;
    long done = 0, block = 100;
    run(e, p->opt->burn);
    bml_mcmc_ensemble_clear(e);
    while (done < p->opt->steps && status) {
        long now = block < p->opt->steps - done ? block : p->opt->steps - done;
        run(e, now);
        done += now;
        block = done / 4 > 100 ? done / 4 : 100;
        status = bml_mcmc_summarize(s, bml_mcmc_ensemble_chain(e));
        if (status && status != BML_MCMC_NOT_CONVERGED) fail("fit_sed: %s", bml_mcmc_strerror(status));
        for (int k = 0; k < p->n_free; k++)
            if (!(s[k].ess >= p->opt->min_ess)) status = BML_MCMC_NOT_CONVERGED;
    }
    return status;
}

/* Search, climb, refine, sample: the comment at the top of the file. */
static void sample_ensemble(posterior *post, problem *p) {
    const bml_mcmc_move chosen[] = {{BML_MCMC_STRETCH, 1, 0, 0}, {BML_MCMC_DE, 1, 0, 0}, {BML_MCMC_MIXTURE, 1, 0, 0}};
    const options *opt = p->opt;
    double *start = malloc((size_t)opt->walkers * (size_t)p->n_free * sizeof *start);
    progress_bar bar;
    setup how;
    if (!start) fail("fit_sed: out of memory");
    progress_begin(&bar, "searching", 30 + REFINE_ROUNDS, opt->quiet);
    p->remember = 1;
    search(start, p);
    climb(start, p, &bar);
    if (opt->moves == MOVES_SURROGATE) refine(start, p, &bar);
    p->remember = 0;
    progress_end(&bar);

    progress_begin(&bar, "sampling", (double)(opt->burn + opt->steps), opt->quiet);
    post->calls = -p->calls;
    if (opt->moves != MOVES_SURROGATE)
        how = (setup){.moves = &chosen[opt->moves - MOVES_STRETCH], .n_moves = 1, .bar = &bar};
    else if (p->response.coef && p->archive_n) how = (setup){.moves = screened_moves, .n_moves = 3, .bar = &bar};
    else how = (setup){.moves = plain_moves, .n_moves = 3, .bar = &bar};
    post->ensemble = ensemble(p, start, &how);
    post->converged = !sample(post->ensemble, post->summary, p);
    post->calls += p->calls;
    post->chain = bml_mcmc_ensemble_chain(post->ensemble);
    post->log_z = post->log_z_error = (double)NAN;
    post->markov = 1;
    progress_end(&bar);
    free(start);
}

/* One line instead of a bar: how far nested sampling has to go is not known beforehand. */
static int show_nested(const bml_mcmc_nested_progress *now, void *user) {
    const options *opt = user;
    if (!opt->quiet && isatty(2))
        fprintf(stderr, "\rln Z %.2f +- %.2f, remaining %.2g, %.0f solver calls, %.1f %% kept \033[K", now->log_z,
                now->log_z_error, now->remaining, (double)now->evaluations, 100 * now->efficiency);
    return 0;
}

static void sample_nested(posterior *post, problem *p) {
    const options *opt = p->opt;
    bml_mcmc_nested_config config = {.n_dim = p->n_free,
                                     .live_points = (int)opt->live,
                                     .seed = opt->seed,
                                     .log_likelihood = log_likelihood,
                                     .prior = p->prior,
                                     .user = p,
                                     .error = opt->evidence_error,
                                     .min_ess = opt->min_ess,
                                     .progress = show_nested,
                                     .progress_user = (void *)opt};
    bml_mcmc_nested_result r;
    int status = bml_mcmc_nested_create(&post->nested, &config), d = p->n_free;
    size_t n;
    if (!status) status = bml_mcmc_nested_run(post->nested, (uint64_t)opt->calls);
    if (!opt->quiet && isatty(2)) fprintf(stderr, "\r\033[K");
    post->converged = !status;
    if ((status && status != BML_MCMC_NOT_CONVERGED) || bml_mcmc_nested_get_result(post->nested, &r) ||
        bml_mcmc_nested_summary(post->nested, post->summary))
        fail("fit_sed: %s %s", bml_mcmc_strerror(status), bml_mcmc_nested_message(post->nested));
    if (!r.rank_ok) {
        post->converged = 0;
        printf("the insertion-rank test failed (p = %.2g): do not trust ln Z\n", r.rank_p);
    }
    post->log_z = r.log_z, post->log_z_error = r.log_z_error, post->calls = p->calls;
    n = r.ess > 1000 ? (size_t)r.ess : 1000;
    post->own = malloc(n * (size_t)(d + 1) * sizeof(double));
    if (!post->own || bml_mcmc_nested_draw(post->nested, post->own, post->own + n * (size_t)d, n, opt->seed))
        fail("fit_sed: out of memory");
    for (size_t i = 0; i < n; i++)
        post->own[n * (size_t)d + i] += bml_mcmc_prior_log_density(p->prior, post->own + i * (size_t)d);
    post->chain = (bml_mcmc_chain){post->own, post->own + n * (size_t)d, n, 1, d};
}

/* ---- NUTS takes log gamma_max as its share of what gamma_min and the blob leave: then no wall stands in its way ---- */

typedef struct nuts_place { /* of gamma_max among the free parameters, -1: held */
    int index;
    double lo, room;  /* log gamma_max = lo + share room */
    double confined;  /* 1 where the blob sets the top, else 0 */
} nuts_place;

/* theta [n_free] from NUTS coordinates u [n_free]. */
static nuts_place nuts_theta(double *theta, const problem *p, const double *u) {
    nuts_place at = {-1, 0, 1, 0};
    double full[N_PAR];
    memcpy(theta, u, (size_t)p->n_free * sizeof *theta);
    expand(full, p, u);
    for (int i = 0; i < p->n_free; i++)
        if (p->free_par[i] == GAMMA_MAX) at.index = i;
    if (at.index < 0) return at;
    at.lo = full[GAMMA_MIN] + gamma_span;
    at.room = gamma_top(full) - at.lo;
    at.confined = ssc_row_confined(full) < parameters[GAMMA_MAX].hi;
    theta[at.index] = at.lo + u[at.index] * at.room;
    return at;
}

static void nuts_inverse(double *u, const problem *p, const double *theta) {
    double unused[N_PAR];
    memcpy(u, theta, (size_t)p->n_free * sizeof *u);
    const nuts_place at = nuts_theta(unused, p, theta);
    if (at.index >= 0) u[at.index] = fmin(fmax((theta[at.index] - at.lo) / at.room, 1e-6), 1 - 1e-6);
}

/* d(ln prior)/d(theta) by differences; nothing to do for the flat prior. */
static void prior_slope(double *d_theta, const problem *p, const double *theta) {
    double at[N_PAR], density[2];
    const double h = 1e-5;
    memset(d_theta, 0, (size_t)p->n_free * sizeof *d_theta);
    if (!p->opt->prior) return;
    for (int k = 0; k < p->n_free; k++) {
        memcpy(at, theta, (size_t)p->n_free * sizeof *at);
        for (int side = 0; side < 2; side++) {
            at[k] = theta[k] + (side ? h : -h);
            density[side] = bml_mcmc_prior_log_density(p->prior, at);
        }
        if (density[0] > -HUGE_VAL && density[1] > -HUGE_VAL) d_theta[k] = (density[1] - density[0]) / (2 * h);
    }
}

/* ln posterior density in NUTS coordinates u [n][n_dim], with the Jacobian `room`, and its gradient. */
static void nuts_log_prob(double *lp, double *gradient, const double *u, int n, int n_dim, void *user) {
    problem *p = user;
    const int block = net_block_rows(p, n);
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(p->threads) if (n > block)
#endif
    for (int from = 0; from < n; from += block) {
        const int count = n - from < block ? n - from : block;
        double full[NET_ROWS * N_PAR], d_full[NET_ROWS * N_PAR], theta[NET_ROWS][N_PAR];
        nuts_place at[NET_ROWS];
        for (int i = 0; i < count; i++) {
            at[i] = nuts_theta(theta[i], p, u + (from + i) * n_dim);
            expand(full + i * N_PAR, p, theta[i]);
        }
        memset(d_full, 0, sizeof d_full);
        net_block(lp + from, d_full, p->dex + from * p->sed.n, full, count, p, &p->desk[thread_number()]);
        for (int i = 0; i < count; i++) {
            const double *d = d_full + i * N_PAR, share = at[i].index < 0 ? 0 : u[(from + i) * n_dim + at[i].index];
            double *g = gradient + (from + i) * n_dim, by_max, room = at[i].room;
            lp[from + i] += bml_mcmc_prior_log_density(p->prior, theta[i]) + (room > 0 ? log(room) : -HUGE_VAL);
            if (!(lp[from + i] > -HUGE_VAL)) lp[from + i] = -HUGE_VAL;
            prior_slope(g, p, theta[i]);
            for (int k = 0; k < n_dim; k++) g[k] += d[p->free_par[k]];
            if (at[i].index < 0) continue;
            by_max = g[at[i].index];
            g[at[i].index] = by_max * room;
            for (int k = 0; k < n_dim; k++) {
                if (p->free_par[k] == GAMMA_MIN) g[k] += by_max * (1 - share) - 1 / room;
                if (p->free_par[k] == R || p->free_par[k] == B) g[k] += at[i].confined * (by_max * share + 1 / room);
            }
        }
    }
    p->calls += n;
}

static int show_nuts(const bml_mcmc_nuts_progress *now, void *user) {
    char note[64];
    snprintf(note, sizeof note, "%.0f gradients", (double)now->gradients);
    progress_at(user, (double)now->draws, note);
    return 0;
}

enum { CHAINS = 16, NUTS_WARMUP = 400, NUTS_BLOCK = 200 };

/* Runs until 50 autocorrelation times and min_ess, or --draws of each chain. */
static int nuts_run(bml_mcmc_nuts *s, posterior *post, problem *p) {
    int status = BML_MCMC_NOT_CONVERGED;
    for (long done = 0, block; done < p->opt->draws && status; done += block) {
        block = p->opt->draws - done < NUTS_BLOCK ? p->opt->draws - done : NUTS_BLOCK;
        status = bml_mcmc_nuts_run(s, (size_t)block);
        if (status) fail("fit_sed: %s: %s", bml_mcmc_strerror(status), bml_mcmc_nuts_message(s));
        status = bml_mcmc_summarize(post->summary, bml_mcmc_nuts_chain(s));
        if (status && status != BML_MCMC_NOT_CONVERGED) fail("fit_sed: %s", bml_mcmc_strerror(status));
        for (int k = 0; k < p->n_free; k++)
            if (!(post->summary[k].ess >= p->opt->min_ess)) status = BML_MCMC_NOT_CONVERGED;
    }
    return status;
}

/* The chain of NUTS coordinates as a chain of theta, with its ln posterior and summary. */
static int nuts_take(posterior *post, bml_mcmc_chain u, problem *p) {
    const int d = p->n_free, W = u.n_walkers;
    const size_t n = u.n_steps * (size_t)W;
    double *lp;
    post->own = malloc(n * (size_t)(d + 1) * sizeof(double));
    if (!post->own) fail("fit_sed: out of memory");
    lp = post->own + n * (size_t)d;
    for (size_t i = 0; i < n; i++)
        nuts_theta(post->own + i * (size_t)d, p, u.theta + i * (size_t)d);
    for (size_t from = 0; from < n; from += 65536)
        log_prob(lp + from, post->own + from * (size_t)d, (int)(n - from < 65536 ? n - from : 65536), d, p);
    post->chain = (bml_mcmc_chain){post->own, lp, u.n_steps, W, d};
    return bml_mcmc_summarize(post->summary, post->chain);
}

/* Chains start at walkers of a short climb. */
static void sample_nuts(posterior *post, problem *p) {
    const options *opt = p->opt;
    const int d = p->n_free;
    double *start = malloc((size_t)opt->walkers * (size_t)d * sizeof *start), u[CHAINS * N_PAR];
    double lower[N_PAR], upper[N_PAR];
    progress_bar bar;
    bml_mcmc_nuts *s;
    if (!start) fail("fit_sed: out of memory");
    progress_begin(&bar, "searching", 30, opt->quiet);
    search(start, p);
    climb(start, p, &bar);
    progress_end(&bar);
    bml_mcmc_prior_limits(lower, upper, p->prior);
    for (int k = 0; k < d; k++)
        if (p->free_par[k] == GAMMA_MAX) lower[k] = 0, upper[k] = 1;
    for (int i = 0; i < CHAINS; i++) nuts_inverse(u + i * d, p, start + i * opt->walkers / CHAINS * d);
    progress_begin(&bar, "sampling", (double)CHAINS * (double)(NUTS_WARMUP + opt->draws), opt->quiet);
    const bml_mcmc_nuts_config config = {.n_dim = d, .n_chains = CHAINS, .seed = opt->seed, .log_prob = nuts_log_prob,
                                         .user = p, .lower = lower, .upper = upper, .metric = BML_MCMC_DENSE,
                                         .warmup = NUTS_WARMUP, .max_depth = 9, .gradient_tolerance = 2e-2, .progress = show_nuts,
                                         .progress_user = &bar};
    int status = bml_mcmc_nuts_create(&s, &config);
    if (!status) status = bml_mcmc_nuts_start(s, u);
    if (status) fail("fit_sed: %s: %s", bml_mcmc_strerror(status), bml_mcmc_nuts_message(s));
    post->calls = -p->calls;
    post->converged = !nuts_run(s, post, p);
    post->calls += p->calls;
    progress_end(&bar);
    const bml_mcmc_nuts_info info = bml_mcmc_nuts_get_info(s);
    printf("NUTS: %.0f gradients, %.0f a draw; %.0f of %.0f draws diverged, %.0f met a wall, %.0f were cut short\n",
           (double)info.gradients, info.mean_tree, (double)info.divergences, (double)info.draws * CHAINS, (double)info.walls,
           (double)info.max_depth_hits);
    post->converged &= !nuts_take(post, bml_mcmc_nuts_chain(s), p);
    post->log_z = post->log_z_error = (double)NAN;
    post->markov = 1;
    bml_mcmc_nuts_free(s);
    free(start);
}

static void (*const samplers[])(posterior *, problem *) = {sample_ensemble, sample_nested, sample_nuts};

static void posterior_free(posterior *post) {
    bml_mcmc_ensemble_free(post->ensemble);
    bml_mcmc_nested_free(post->nested);
    free(post->own);
}

/* ==== report ====================================================================================================== */

enum { N_NU = 191, DRAWS_MAX = 3000, STEPS_MIN = 20, N_DERIVED = 9 };

static const struct derived {
    const char *name, *unit;
} derived_rows[N_DERIVED] = {
    {"log_Ue_over_UB", ""},         {"log_L_injected", "erg/s"}, {"log_P_jet", "erg/s"},
    {"log_nu_synchrotron", "Hz"},   {"log_L_synchrotron", "erg/s"},
    {"log_nu_compton", "Hz"},       {"log_L_compton", "erg/s"},  {"log_compton_dominance", ""},
    {"log_t_var", "s"}, /* R (1 + z)/(delta c) */
};

/* What the report needs of the posterior: every thin-th step of the chain, solved again. */
typedef struct draws {
    long steps, walkers, thin;
    double *derived; /* [steps][walkers][N_DERIVED] */
    double *flux;    /* [N_NU][steps x walkers] */
    double *off;     /* [steps][walkers] ln likelihood, solver less network; 0 without a network */
} draws;

typedef struct best_point {
    double full[N_PAR], ln_p;
    double total[N_NU], component[2][N_NU];
} best_point;

static double log10_or_floor(double v) { return v > 1e-300 ? log10(v) : -300; }

/* ln likelihood of a solved blob, less the network's. */
static double net_off(const problem *p, const bml_ssc_blob *blob, const double *full, double ln_p, const double *theta) {
    net_desk *k = &p->desk[thread_number()];
    const bml_ssc_observer o = observer_of(p, full);
    double ln_l;
    if (bml_ssc_sed(k->flux, p->nu, p->sed.n, blob, &o, BML_SSC_TOTAL) ||
        bml_ssc_log_likelihood(&ln_l, k->flux, net_points(p, k, full), p->sed.n, full[LN_F]))
        return -HUGE_VAL;
    return ln_l - (ln_p - bml_mcmc_prior_log_density(p->prior, theta));
}

/* One draw: derived quantities, and the spectrum at nu [N_NU]. Returns how far the network was off its ln likelihood. */
static double solve_draw(double *derived, double *flux, const double *nu, const problem *p, const double *theta, double ln_p) {
    double full[N_PAR], sed[N_NU];
    bml_ssc_blob *blob = p->blob[thread_number()];
    bml_ssc_derived q;
    bml_ssc_observer o;
    expand(full, p, theta);
    o = observer_of(p, full);
    int status = solve(blob, p, full);
    if ((status && status != BML_SSC_NOT_CONVERGED) || bml_ssc_derive(&q, blob, &o)
        || bml_ssc_sed(sed, nu, N_NU, blob, &o, BML_SSC_TOTAL)) {
        memset(&q, 0, sizeof q);
        memset(sed, 0, sizeof sed);
    }
    const double values[N_DERIVED] = {
        log10_or_floor(q.U_e / (q.U_B > 0 ? q.U_B : 1)), log10_or_floor(q.L_injected), log10_or_floor(q.P_jet),
        log10_or_floor(q.nu_synchrotron), log10_or_floor(q.L_synchrotron), log10_or_floor(q.nu_compton),
        log10_or_floor(q.L_compton), log10_or_floor(q.compton_dominance),
        full[R] - full[DELTA] + log10((1 + p->opt->redshift) / 2.99792458e10)};
    memcpy(derived, values, sizeof values);
    memcpy(flux, sed, sizeof sed);
    return p->net.net ? net_off(p, blob, full, ln_p, theta) : 0;
}

static void draw(draws *g, const double *nu, const problem *p, bml_mcmc_chain chain) {
    long n, W = chain.n_walkers;
    double *sed;
    g->walkers = W;
    g->thin = (long)chain.n_steps * W / DRAWS_MAX + 1;
    if ((long)chain.n_steps / g->thin < STEPS_MIN)
        g->thin = (long)chain.n_steps > STEPS_MIN ? (long)chain.n_steps / STEPS_MIN : 1;
    g->steps = (long)chain.n_steps / g->thin;
    n = g->steps * W;
    g->derived = malloc((size_t)n * N_DERIVED * sizeof(double));
    g->flux = malloc((size_t)n * N_NU * sizeof(double));
    g->off = malloc((size_t)n * sizeof(double));
    sed = malloc((size_t)n * N_NU * sizeof(double));
    if (!g->derived || !g->flux || !g->off || !sed) fail("fit_sed: out of memory");
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(p->threads)
#endif
    for (long i = 0; i < n; i++) {
        long step = (i / W + 1) * g->thin - 1;
        g->off[i] = solve_draw(g->derived + i * N_DERIVED, sed + i * N_NU, nu, p,
                               chain.theta + (step * W + i % W) * p->n_free, chain.log_prob[step * W + i % W]);
    }
    for (long i = 0; i < n; i++)
        for (int k = 0; k < N_NU; k++) g->flux[k * n + i] = sed[i * N_NU + k];
    free(sed);
}

/* What the solver says of a network's posterior: the drawn points weighted by the ratio of the two likelihoods. */
typedef struct verdict {
    double mean, sd;     /* of ln likelihood, solver less network */
    double kept;         /* effective share of the draws after weighting */
    double shift;        /* largest shift of a parameter's mean by the weights, in sd */
    int parameter;       /* of which */
} verdict;

static verdict check_net(const problem *p, const draws *g, bml_mcmc_chain chain) {
    const long W = g->walkers, n = g->steps * W;
    verdict v = {0};
    double top = -HUGE_VAL, sum = 0, squares = 0;
    for (long i = 0; i < n; i++) top = fmax(top, g->off[i]), v.mean += g->off[i] / (double)n;
    for (long i = 0; i < n; i++) {
        const double w = exp(g->off[i] - top);
        v.sd += (g->off[i] - v.mean) * (g->off[i] - v.mean) / (double)n;
        sum += w, squares += w * w;
    }
    v.sd = sqrt(v.sd);
    v.kept = sum * sum / squares / (double)n;
    for (int k = 0; k < p->n_free; k++) {
        double plain = 0, square = 0, weighted = 0;
        for (long i = 0; i < n; i++) {
            const double x = chain.theta[(((i / W + 1) * g->thin - 1) * W + i % W) * p->n_free + k];
            plain += x / (double)n, square += x * x / (double)n;
            weighted += x * exp(g->off[i] - top) / sum;
        }
        const double shift = (weighted - plain) / sqrt(square - plain * plain);
        if (fabs(shift) > fabs(v.shift)) v.shift = shift, v.parameter = k;
    }
    return v;
}

/* The point of highest posterior density in the chain, its spectrum and components. */
static void find_best(best_point *best, const double *nu, const problem *p, bml_mcmc_chain chain) {
    size_t at = 0, n = chain.n_steps * (size_t)chain.n_walkers;
    bml_ssc_observer o;
    for (size_t i = 1; i < n; i++)
        if (chain.log_prob[i] > chain.log_prob[at]) at = i;
    best->ln_p = chain.log_prob[at];
    expand(best->full, p, chain.theta + at * (size_t)p->n_free);
    o = observer_of(p, best->full);
    solve(p->blob[0], p, best->full);
    bml_ssc_sed(best->total, nu, N_NU, p->blob[0], &o, BML_SSC_TOTAL);
    bml_ssc_sed(best->component[0], nu, N_NU, p->blob[0], &o, BML_SSC_SYNCHROTRON);
    bml_ssc_sed(best->component[1], nu, N_NU, p->blob[0], &o, BML_SSC_COMPTON);
}

static void posterior_row(FILE *f, const char *name, const char *unit, const bml_mcmc_summary *s) {
    fprintf(f, "%s,%s,%.6g,%.6g,%.6g,%.6g,%.6g,%.1f,%.4f,%.2f\n", name, unit, s->median, s->minus, s->plus, s->mean,
            s->sd, s->ess, s->rhat, s->tau);
}

static void write_posterior(const problem *p, const bml_mcmc_summary *s, const draws *g) {
    bml_mcmc_summary derived[N_DERIVED];
    bml_mcmc_chain chain = {g->derived, NULL, (size_t)g->steps, (int)g->walkers, N_DERIVED};
    out_file o;
    char err[ERROR_SIZE];
    int status = bml_mcmc_summarize(derived, chain);
    if (out_begin(&o, p->opt->out, "posterior.csv", err)) fail("%s", err);
    fprintf(o.f, "name,unit,median,minus,plus,mean,sd,ess,rhat,tau\n");
    for (int i = 0; i < p->n_free; i++)
        posterior_row(o.f, parameters[p->free_par[i]].name, parameters[p->free_par[i]].unit, &s[i]);
    for (int i = 0; i < N_DERIVED && (!status || status == BML_MCMC_NOT_CONVERGED); i++) {
        derived[i].tau *= (double)g->thin; /* in steps of the sampler, as the others */
        posterior_row(o.f, derived_rows[i].name, derived_rows[i].unit, &derived[i]);
    }
    if (out_commit(&o, err)) fail("%s", err);
}

static void write_chain(const problem *p, bml_mcmc_chain chain) {
    char err[ERROR_SIZE];
    const long shape[3] = {(long)chain.n_steps, chain.n_walkers, chain.n_dim};
    if (npy_write(p->opt->out, "chain.npy", chain.theta, shape, 3, err)) fail("%s", err);
    if (npy_write(p->opt->out, "log_prob.npy", chain.log_prob, shape, 2, err)) fail("%s", err);
}

/* sed.csv and sed.png: bands are quantiles of the drawn spectra at each frequency. */
static int write_sed(const problem *p, const double *nu, const best_point *best, draws *g) {
    static const double at[4] = {0.25, 0.75, 0.05, 0.95};
    static double band[4][N_NU], table[N_NU][8];
    const char *const names[2] = {"synchrotron", "self-Compton"};
    const double *const parts[2] = {best->component[0], best->component[1]};
    sed_picture picture = {.data = &p->sed,
                           .n_nu = N_NU,
                           .nu = nu,
                           .best = best->total,
                           .lo50 = band[0],
                           .hi50 = band[1],
                           .lo90 = band[2],
                           .hi90 = band[3],
                           .n_components = 2,
                           .component_name = names,
                           .component = parts};
    char err[ERROR_SIZE];
    size_t n = (size_t)(g->steps * g->walkers);
    int drawn;
    for (int k = 0; k < N_NU; k++) {
        for (int b = 0; b < 4; b++) band[b][k] = bml_mcmc_quantile(g->flux + (size_t)k * n, n, at[b]);
        const double row[8] = {nu[k],      best->total[k], parts[0][k], parts[1][k],
                               band[0][k], band[1][k],     band[2][k],  band[3][k]};
        memcpy(table[k], row, sizeof row);
    }
    if (csv_write(p->opt->out, "sed.csv", "nu_Hz,best,synchrotron,compton,lo50,hi50,lo90,hi90", table[0], N_NU, 8, err))
        fail("%s", err);
    drawn = sed_picture_write(&picture, p->opt->out, "sed", err);
    if (drawn < 0) fail("%s", err);
    return drawn;
}

/* ---- another run, to lay over this one ---- */

typedef struct other_run {
    double *theta; /* [n][n_free] */
    long n;
    double log_z, log_z_error; /* NaN where it has none */
} other_run;

/* "key": of DIR/run.json as run_write makes it: the text after the colon, or NULL. */
static const char *run_value(const char *json, const char *key) {
    char quoted[64];
    const char *at;
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    at = strstr(json, quoted);
    return at ? at + strlen(quoted) + strspn(at + strlen(quoted), " ") : NULL;
}

/* Reads --compare before any work: it must be a fit of the same free parameters. */
static void read_other(other_run *o, const problem *p) {
    const char *dir = p->opt->compare, *names, *z, *e;
    char err[ERROR_SIZE], path[PATH_SIZE + 16], wanted[256] = "\"";
    long shape[4] = {0};
    int n_dim;
    text_file t;
    snprintf(path, sizeof path, "%s/run.json", dir);
    if (text_open(&t, path, err)) fail("%s", err);
    for (int i = 0; i < p->n_free; i++)
        snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), "%s%s", parameters[p->free_par[i]].name,
                 i + 1 < p->n_free ? "," : "\"");
    names = run_value(t.data, "parameters");
    z = run_value(t.data, "ln_z"), e = run_value(t.data, "ln_z_error");
    if (!names || strncmp(names, wanted, strlen(wanted))) fail("%s: is no fit of the same free parameters, %s", path, wanted);
    o->log_z = z && e ? strtod(z, NULL) : (double)NAN;
    o->log_z_error = z && e ? strtod(e, NULL) : (double)NAN;
    text_close(&t);
    if (npy_read(&o->theta, shape, &n_dim, dir, "chain.npy", err)) fail("%s", err);
    if (n_dim != 3 || shape[2] != p->n_free) fail("%s/chain.npy: not steps x walkers x %d parameters", dir, p->n_free);
    o->n = shape[0] * shape[1];
}

/* Both runs side by side, differences in units of this run's sd, and the Bayes factor where both have an evidence. */
static void print_other(const problem *p, const posterior *post, const other_run *o) {
    printf("%-14s %9s %9s %8s %12s\n", "parameter", "this", "other", "by [sd]", "sd, other/this");
    for (int k = 0; k < p->n_free; k++) {
        double *v = malloc((size_t)o->n * sizeof *v), mean = 0, square = 0;
        if (!v) fail("fit_sed: out of memory");
        for (long i = 0; i < o->n; i++) v[i] = o->theta[i * p->n_free + k], mean += v[i] / (double)o->n;
        for (long i = 0; i < o->n; i++) square += (v[i] - mean) * (v[i] - mean) / (double)o->n;
        const double median = bml_mcmc_quantile(v, (size_t)o->n, 0.5);
        printf("%-14s %9.4f %9.4f %8.3f %12.3f\n", parameters[p->free_par[k]].name, post->summary[k].median, median,
               (median - post->summary[k].median) / post->summary[k].sd, sqrt(square) / post->summary[k].sd);
        free(v);
    }
    if (isfinite(post->log_z) && isfinite(o->log_z))
        printf("ln Bayes factor of this run over the other: %.2f +- %.2f\n", post->log_z - o->log_z,
               hypot(post->log_z_error, o->log_z_error));
}

static int write_corner(const problem *p, bml_mcmc_chain chain, const other_run *other) {
    const char *label[N_PAR], *unit[N_PAR];
    plot_corner corner = {.n_dim = p->n_free, .label = label, .unit = unit,
                          .chain = {.sample = chain.theta, .n = (long)chain.n_steps * chain.n_walkers},
                          .second = {.sample = other->theta, .n = other->n}};
    char err[ERROR_SIZE];
    int drawn;
    for (int i = 0; i < p->n_free; i++) {
        label[i] = parameters[p->free_par[i]].label;
        unit[i] = parameters[p->free_par[i]].unit;
    }
    if (other->theta) corner.chain.name = p->opt->out, corner.second.name = p->opt->compare;
    drawn = plot_corner_write(&corner, p->opt->out, "corner", err);
    if (drawn < 0) fail("%s", err);
    return drawn;
}

static double least_ess(const posterior *post, const problem *p) {
    double least = HUGE_VAL;
    for (int i = 0; i < p->n_free; i++) least = fmin(least, post->summary[i].ess);
    return least;
}

static void print_table(const problem *p, const posterior *post, const best_point *best, double seconds) {
    printf("%-14s %-5s %9s %8s %8s %9s %7s %6s %6s\n", "parameter", "unit", "median", "minus", "plus", "best", "ess",
           "rhat", "tau");
    for (int i = 0; i < p->n_free; i++) {
        const struct parameter *row = &parameters[p->free_par[i]];
        const bml_mcmc_summary *s = &post->summary[i];
        printf("%-14s %-5s %9.4f %8.4f %8.4f %9.4f %7.0f ", row->name, row->unit, s->median, s->minus, s->plus,
               best->full[p->free_par[i]], s->ess);
        if (post->markov) printf("%6.3f %6.1f\n", s->rhat, s->tau);
        else printf("%6s %6s\n", "-", "-");
    }
    if (post->ensemble) {
        bml_mcmc_ensemble_info info = bml_mcmc_ensemble_get_info(post->ensemble);
        for (int m = 0; m < info.n_moves; m++)
            if (info.moves_proposed[m])
                printf("%s moves: %.1f %% accepted\n", bml_mcmc_move_name(info.moves[m].kind),
                       100 * (double)info.moves_accepted[m] / (double)info.moves_proposed[m]);
        printf("%ld steps of %d walkers; ", (long)post->chain.n_steps, info.n_walkers);
    } else if (post->markov) printf("%ld draws of %d NUTS chains; ", (long)post->chain.n_steps, post->chain.n_walkers);
    else printf("ln Z = %.2f +- %.2f, fluxes in dex; ", post->log_z, post->log_z_error);
    printf("%ld %s calls, %ld of them sampling; %.1f s\n", p->calls, p->net.net ? "network" : "solver", post->calls, seconds);
    printf("effective samples per 1000 calls of the sampling: %.1f\n", 1000 * least_ess(post, p) / (double)post->calls);
}

static void print_check(const problem *p, const draws *g, bml_mcmc_chain chain) {
    const verdict v = check_net(p, g, chain);
    printf("the solver at %ld of these draws: ln likelihood off by %.3f +- %.3f; weighted by that, %.0f %% of them count, and "
           "%s moves by %.2f sd\n",
           g->steps * g->walkers, v.mean, v.sd, 100 * v.kept, parameters[p->free_par[v.parameter]].name, v.shift);
    if (v.kept < 0.5 || fabs(v.shift) > 0.2)
        printf("the network is NOT good enough here: take the solver (no --model), or train it longer\n");
}

static void write_run(const problem *p, const option_row *rows, const char *input, const posterior *post,
                      const best_point *best, double seconds) {
    char err[ERROR_SIZE], names[256] = "";
    for (int i = 0; i < p->n_free; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? "," : "",
                 parameters[p->free_par[i]].name);
    run_entry results[] = {{"parameters", 0, names},
                           {"points", p->sed.n, NULL},
                           {"steps", (double)post->chain.n_steps, NULL},
                           {"solver_calls", (double)p->calls, NULL},
                           {"solver_calls_sampling", (double)post->calls, NULL},
                           {"least_ess", least_ess(post, p), NULL},
                           {"best_ln_posterior", best->ln_p, NULL},
                           {"converged", post->converged, NULL},
                           {"ln_z", post->log_z, NULL},
                           {"ln_z_error", post->log_z_error, NULL},
                           {0}};
    const run_info run = {.program = "fit_sed",
                          .options = rows,
                          .input = input,
                          .seed = p->opt->seed,
                          .seconds = seconds,
                          .results = results};
    if (post->markov) results[8].name = NULL; /* no evidence */
    if (run_write(p->opt->out, &run, err)) fail("%s", err);
}

/* ==== calibration: is the posterior honest for data like these? ===================================================
   Sources drawn from the prior, solved exactly, with noise of the table's own errors at its frequencies, are fitted one
   by one as the table itself would be; the ranks of the truths in their posteriors must be uniform (Talts et al. 2018,
   arXiv:1804.06788). */

enum { RANK_DRAWS = 49, RANK_BINS = 10 };

/* A truth from the prior that reaches every point of the table, and the table as it would be seen; theta [n_free] out. */
static void simulate(double *theta, problem *p, bml_mcmc_rng *rng) {
    double cube[N_PAR], full[N_PAR], *flux = p->dex;
    bml_ssc_observer o;
    for (long tries = 0;; tries++) {
        int reached = 0;
        if (tries == 100000) fail("fit_sed: --calibrate: no source of the prior reaches all points of the table");
        for (int k = 0; k < p->n_free; k++) cube[k] = bml_mcmc_rng_uniform(rng);
        if (bml_mcmc_prior_transform(p->prior, theta, cube)) fail("fit_sed: the prior leaves no room");
        expand(full, p, theta);
        if (!allowed(full) || solve(p->blob[0], p, full)) continue;
        o = observer_of(p, full);
        if (bml_ssc_sed(flux, p->nu, p->sed.n, p->blob[0], &o, BML_SSC_TOTAL)) continue;
        for (int i = 0; i < p->sed.n; i++) reached += flux[i] > 0;
        if (reached == p->sed.n) break;
    }
    for (int i = 0; i < p->sed.n; i++) {
        bml_ssc_point *d = &p->sed.point[i];
        p->log_data[i] = log10(flux[i]) + hypot(d->sigma_hi, exp(full[LN_F])) * bml_mcmc_rng_normal(rng);
        d->nuFnu = pow(10, p->log_data[i]);
    }
}

/* ranks.csv: a row for each source, a column for each parameter, 0 ... RANK_DRAWS. */
static void write_ranks(const problem *p, const int *ranks, long n, long room) {
    char err[ERROR_SIZE];
    out_file o;
    if (out_begin(&o, p->opt->out, "ranks.csv", err)) fail("%s", err);
    for (int k = 0; k < p->n_free; k++) fprintf(o.f, "%s%c", parameters[p->free_par[k]].name, k + 1 < p->n_free ? ',' : '\n');
    for (long i = 0; i < n; i++)
        for (int k = 0; k < p->n_free; k++) fprintf(o.f, "%d%c", ranks[k * room + i], k + 1 < p->n_free ? ',' : '\n');
    if (out_commit(&o, err)) fail("%s", err);
}

static void print_calibration(const problem *p, const int *ranks, long n, long room, long converged) {
    printf("%-14s %9s %16s %16s\n", "parameter", "p(ranks)", "68 % hold", "90 % hold");
    for (int k = 0; k < p->n_free; k++) {
        double hold[2] = {0}, sd[2] = {0};
        const int *r = ranks + k * room;
        bml_mcmc_coverage(&hold[0], &sd[0], r, (int)n, RANK_DRAWS, 0.68);
        bml_mcmc_coverage(&hold[1], &sd[1], r, (int)n, RANK_DRAWS, 0.90);
        printf("%-14s %9.4f %8.3f +- %.3f %8.3f +- %.3f\n", parameters[p->free_par[k]].name,
               bml_mcmc_sbc_p_value(r, (int)n, RANK_DRAWS, RANK_BINS), hold[0], sd[0], hold[1], sd[1]);
    }
    printf("%ld sources, %ld of them converged (the others are counted all the same)\n", n, converged);
}

static int calibrate(problem *p) {
    const options *given = p->opt;
    const long n = given->calibrate;
    options opt = *given;
    int *ranks = calloc((size_t)n * (size_t)p->n_free, sizeof *ranks), one[N_PAR];
    long converged = 0, done = 0;
    progress_bar bar;
    if (!ranks) fail("fit_sed: out of memory");
    for (int i = 0; i < p->sed.n; i++)
        if (p->sed.point[i].upper_limit || fabs(p->sed.point[i].sigma_lo - p->sed.point[i].sigma_hi) > 1e-12)
            fail("fit_sed: --calibrate: point %d is a limit or has unequal errors: such noise cannot be drawn", i + 1);
    opt.quiet = 1;
    progress_begin(&bar, "calibrating", (double)n, given->quiet);
    for (long i = 0; i < n; i++) {
        double truth[N_PAR];
        posterior post = {0};
        bml_mcmc_rng rng;
        bml_mcmc_rng_init(&rng, given->seed, 100 + (uint64_t)i);
        opt.seed = given->seed + 10000 * (uint64_t)(i + 1);
        p->opt = given;
        simulate(truth, p, &rng);
        p->opt = &opt;
        p->learned.n = 0, p->learned.best = -HUGE_VAL, p->archive_n = 0;
        response_free(&p->response);
        samplers[opt.sampler](&post, p);
        if (!bml_mcmc_sbc_ranks(one, post.chain, truth, RANK_DRAWS)) {
            for (int k = 0; k < p->n_free; k++) ranks[k * n + done] = one[k];
            done++, converged += post.converged;
        }
        posterior_free(&post);
        progress_at(&bar, (double)(i + 1), NULL);
    }
    progress_end(&bar);
    p->opt = given;
    print_calibration(p, ranks, done, n, converged);
    write_ranks(p, ranks, done, n);
    free(ranks);
    return 0;
}

/* ==== main ======================================================================================================== */

static int fit(problem *p, const option_row *rows, const char *input) {
    const options *opt = p->opt;
    double begin = seconds_now(), seconds, nu[N_NU];
    posterior post = {0};
    best_point best;
    draws g = {0};
    other_run other = {0};
    int drawn;
    if (opt->compare) read_other(&other, p);
    samplers[opt->sampler](&post, p);
    for (int k = 0; k < N_NU; k++) nu[k] = pow(10, 9 + 0.1 * k);
    find_best(&best, nu, p, post.chain);
    draw(&g, nu, p, post.chain);
    write_chain(p, post.chain);
    write_posterior(p, post.summary, &g);
    drawn = write_sed(p, nu, &best, &g) | write_corner(p, post.chain, &other);
    seconds = seconds_now() - begin;
    write_run(p, rows, input, &post, &best, seconds);
    print_table(p, &post, &best, seconds);
    if (p->net.net) print_check(p, &g, post.chain);
    if (other.theta) print_other(p, &post, &other);
    printf("results in %s%s\n", opt->out,
           drawn ? "; no gnuplot here: pictures are left as scripts, sed.gp and corner.gp" : "");
    if (!post.converged && post.markov)
        printf("NOT CONVERGED: the chain is shorter than 50 autocorrelation times, its walkers disagree, or a "
               "parameter has fewer\n"
               "than %.0f effective samples. Take these numbers as a preview, and run with more --steps.\n",
               opt->min_ess);
    else if (!post.converged) printf("NOT CONVERGED: take these numbers as a preview, and run with more --calls.\n");
    posterior_free(&post);
    free(g.derived);
    free(g.flux);
    free(g.off);
    free(other.theta);
    return post.converged ? 0 : 2;
}

int main(int argc, char **argv) {
    options opt = {.redshift = 0,
                   .systematic_scatter = 1,
                   .walkers = 48,
                   .draws = 20000,
                   .burn = 100,
                   .live = 400,
                   .seed = 1,
                   .confidence = 0.95,
                   .min_ess = 400,
                   .out = "fit_sed_out"};
    const option_row rows[] = {
        {.name = "redshift",
         .real = &opt.redshift,
         .min = 0,
         .max = 10,
         .value = "Z",
         .help = "of the source; 0: as the table says"},
        {.name = "grid", .choice = &opt.grid, .value = "converged|athena", .help = "energy grid of the solver"},
        {.name = "ssa", .flag = &opt.ssa, .help = "synchrotron self-absorption"},
        {.name = "gg", .flag = &opt.pairs, .help = "photon-photon absorption and pair injection"},
        {.name = "walkers",
         .integer = &opt.walkers,
         .min = 2,
         .max = 100000,
         .value = "N",
         .help = "even, at least twice the parameters"},
        {.name = "steps",
         .integer = &opt.steps,
         .min = 10,
         .max = 1e8,
         .value = "N",
         .help = "at most; ends earlier when converged; 0: 6000, with --model 20000"},
        {.name = "burn",
         .integer = &opt.burn,
         .min = 0,
         .max = 1e8,
         .value = "N",
         .help = "steps thrown away first, after the climb"},
        {.name = "min-ess",
         .real = &opt.min_ess,
         .min = 0,
         .max = 1e9,
         .value = "N",
         .help = "effective samples wanted of every parameter"},
        {.name = "sampler",
         .choice = &opt.sampler,
         .value = "ensemble|nested|nuts",
         .help = "nested gives the evidence too; nuts needs --model"},
        {.name = "model", .text = &opt.model, .value = "FILE", .help = "network of train_surrogate in the solver's place"},
        {.name = "outside",
         .choice = &opt.outside,
         .value = "refuse|solve",
         .help = "where the model was not trained: probability 0, or the solver"},
        {.name = "model-error", .flag = &opt.model_error, .help = "add the model's own error to the data's"},
        {.name = "draws",
         .integer = &opt.draws,
         .min = 100,
         .max = 1e8,
         .value = "N",
         .help = "of each NUTS chain, at most; ends earlier when converged"},
        {.name = "live",
         .integer = &opt.live,
         .min = 2,
         .max = 1000000,
         .value = "N",
         .help = "live points of nested sampling"},
        {.name = "evidence-error",
         .real = &opt.evidence_error,
         .min = 0,
         .max = 1e9,
         .value = "E",
         .help = "of ln Z, by more live points; 0: as it comes"},
        {.name = "calls",
         .integer = &opt.calls,
         .min = 0,
         .max = 1e12,
         .value = "N",
         .help = "of the solver, nested sampling, at most; 0: no limit"},
        {.name = "moves",
         .choice = &opt.moves,
         .value = "surrogate|stretch|de|mixture",
         .help = "proposals of the sampling"},
        {.name = "threads", .integer = &opt.threads, .min = 0, .max = 1024, .value = "N", .help = "0: all cores"},
        {.name = "seed", .natural = &opt.seed, .value = "S", .help = "same seed, same results"},
        {.name = "fix", .list = &opt.fix, .value = "NAME=VALUE", .help = "hold a parameter; may be repeated"},
        {.name = "prior", .text = &opt.prior, .value = "FILE", .help = "lines name,kind,a,b: uniform, normal, ..."},
        {.name = "systematic-scatter",
         .flag = &opt.systematic_scatter,
         .help = "fit ln f, a scatter in dex beyond the errors"},
        {.name = "confidence",
         .real = &opt.confidence,
         .min = 0.5001,
         .max = 0.99999,
         .value = "C",
         .help = "one-sided, of upper limits without their own"},
        {.name = "calibrate",
         .integer = &opt.calibrate,
         .min = 20,
         .max = 100000,
         .value = "N",
         .help = "instead: fit N simulated tables like this one, and count the truths"},
        {.name = "compare", .text = &opt.compare, .value = "DIR", .help = "results of another fit, laid over this one"},
        {.name = "quiet", .flag = &opt.quiet, .help = "no progress bar"},
        {.name = "out", .text = &opt.out, .value = "DIR", .help = "folder for tables, chains and pictures"},
        {0}};
    int first = options_parse(
        argc, argv, rows, "fit_sed [options] SED",
        "Fits a one-zone synchrotron self-Compton model to a table of fluxes (CSV or ECSV).\n"
        "Parameters, log10: log_R [cm] 14..17, log_B [G] -2..2, log_gamma_min 0.1..4, log_gamma_max\n"
        "gamma_min + 2..8 and confined, log_l_e (injection compactness) -5..-1, p 1.5..3,\n"
        "log_delta 0..3, ln_f [dex] -10..1. No absorption by the extragalactic background light is applied.\n"
        "Exit status 0: converged, 2: not yet, 1: error.");
    char err[ERROR_SIZE];
    problem p;
    int status;
    if (argc - first != 1) fail("fit_sed: one SED file is needed, see --help");
    if (opt.steps == 0) opt.steps = opt.model ? 20000 : 6000;
    if (opt.sampler == SAMPLER_NUTS && !opt.model) fail("fit_sed: --sampler nuts needs gradients: give --model");
    set_up(&p, &opt, argv[first]);
    if (opt.redshift == 0) opt.redshift = p.sed.redshift;
    if (!(opt.redshift > 0)) fail("fit_sed: --redshift must be above 0, or stand in the table");
    if (opt.model) net_observe(&p);
    if (opt.walkers % 2 || opt.walkers < 2 * p.n_free)
        fail("fit_sed: --walkers %ld: an even number of at least %d is needed for %d parameters", opt.walkers,
             2 * p.n_free, p.n_free);
    if (out_folder(opt.out, err)) fail("%s", err);
    status = opt.calibrate ? calibrate(&p) : fit(&p, rows, argv[first]);
    clean_up(&p);
    return status;
}
