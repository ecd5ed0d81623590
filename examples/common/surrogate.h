/* surrogate.h: cheap stand-ins for a model, trained on its own results.

     response     a polynomial of degree 1 to 4 in all parameters for many outputs at once (a "response surface")
     surrogate    a network for the SSC solver over the whole prior, with its domain and its error (train_surrogate)

   A response is not meant to replace the model: fit_sed uses it to screen proposals, and every proposal that passes is
   still judged by the exact solver (BML_MCMC_SURROGATE in bml_mcmc.h), so an error of the response costs acceptance,
   never correctness. Include common.h first. Public domain or MIT, see LICENSE. */
#ifndef SURROGATE_H
#define SURROGATE_H

enum { RESPONSE_DIM = 16 };
enum { RESPONSE_TERMS = 512 };

typedef struct response {
    int n_dim;
    int n_out;
    int n_terms;
    double mean[RESPONSE_DIM];
    double inverse[RESPONSE_DIM][RESPONSE_DIM]; /* z = inverse (theta - mean): unit covariance */
    short parent[RESPONSE_TERMS];               /* term t = term[parent] z[factor]; term 0 is 1 */
    short factor[RESPONSE_TERMS];
    double *coef; /* [n_terms][n_out], owned */
} response;

static inline void response_free(response *r) {
    free(r->coef);
    r->coef = NULL;
}

/* Lower Cholesky factor of a [n][n] in place; 0, or -1 when a is not positive definite. */
static inline int cholesky(double *a, int n) {
    for (int j = 0; j < n; j++) {
        for (int k = 0; k < j; k++)
            for (int i = j; i < n; i++)
                a[i * n + j] -= a[i * n + k] * a[j * n + k];
        if (!(a[j * n + j] > 0)) {
            return -1;
        }
        double d = 1 / sqrt(a[j * n + j]);
        for (int i = j; i < n; i++)
            a[i * n + j] *= d;
    }
    return 0;
}

/* Lists every product of at most `degree` coordinates, each made from a shorter one. */
static inline void response_terms(response *r, int degree) {
    int from = 0;
    int to = 1;
    r->n_terms = 1;
    r->parent[0] = 0;
    r->factor[0] = 0;
    for (int g = 1; g <= degree; g++) {
        for (int t = from; t < to; t++) {
            int first = g > 1 ? r->factor[t] : 0;
            for (int f = first; f < r->n_dim; f++) {
                r->parent[r->n_terms] = (short)t;
                r->factor[r->n_terms] = (short)f;
                r->n_terms++;
            }
        }
        from = to;
        to = r->n_terms;
    }
}

/* Number of terms that response_terms will list: (n_dim + degree)!/(n_dim! degree!). */
static inline long response_count(int n_dim, int degree) {
    long n = 1;
    for (int g = 1; g <= degree; g++)
        n = n * (n_dim + g) / g;
    return n;
}

/* term [n_terms] at theta [n_dim]. */
static inline void response_basis(double *term, const response *r, const double *theta) {
    double z[RESPONSE_DIM];
    for (int i = 0; i < r->n_dim; i++) {
        const double *row = r->inverse[i];
        z[i] = 0;
        for (int j = 0; j <= i; j++)
            z[i] += row[j] * (theta[j] - r->mean[j]);
    }
    term[0] = 1;
    for (int t = 1; t < r->n_terms; t++) {
        double shorter = term[r->parent[t]];
        term[t] = shorter * z[r->factor[t]];
    }
}

/* out [n_out] at theta [n_dim]. Thread safe. */
static inline void response_at(double *restrict out, const response *r, const double *theta) {
    double term[RESPONSE_TERMS];
    const double *restrict coef = r->coef;
    response_basis(term, r, theta);
    for (int k = 0; k < r->n_out; k++)
        out[k] = 0;
    for (int t = 0; t < r->n_terms; t++) {
        for (int k = 0; k < r->n_out; k++)
            out[k] += term[t] * coef[k];
        coef += r->n_out;
    }
}

/* Mean and whitening of theta [n][n_dim]; 0, or -1 when the points span less than the space. */
static inline int response_whiten(response *r, const double *theta, long n) {
    double cov[RESPONSE_DIM * RESPONSE_DIM] = {0};
    int d = r->n_dim;
    memset(r->mean, 0, sizeof r->mean);
    memset(r->inverse, 0, sizeof r->inverse);
    for (long p = 0; p < n; p++)
        for (int i = 0; i < d; i++)
            r->mean[i] += theta[p * d + i] / (double)n;
    for (long p = 0; p < n; p++) {
        const double *at = theta + p * d;
        for (int i = 0; i < d; i++)
            for (int j = 0; j <= i; j++) {
                double off_i = at[i] - r->mean[i];
                double off_j = at[j] - r->mean[j];
                cov[i * d + j] += off_i * off_j / (double)n;
            }
    }
    if (cholesky(cov, d)) {
        return -1;
    }
    for (int c = 0; c < d; c++) /* invert the factor, column by column */
        for (int i = c; i < d; i++) {
            double sum = i == c;
            for (int j = c; j < i; j++)
                sum -= cov[i * d + j] * r->inverse[j][c];
            r->inverse[i][c] = sum / cov[i * d + i];
        }
    return 0;
}

/* The highest degree up to `most` that RESPONSE_TERMS holds and that leaves ten of n points a term; 1 at least. */
static inline int response_degree(int n_dim, long n, int most) {
    int degree = most;
    while (degree > 1) {
        long terms = response_count(n_dim, degree);
        if (terms <= RESPONSE_TERMS && n >= 10 * terms) {
            break;
        }
        degree--;
    }
    return degree;
}

/* Adds a point's products of terms to the lower half of normal [n_terms][n_terms], and those with its values [n_out] to
   r->coef. */
static inline void response_add(response *r, double *normal, const double *term, const double *value) {
    for (int t = 0; t < r->n_terms; t++) {
        double *restrict row = normal + t * r->n_terms;
        double *restrict right = r->coef + t * r->n_out;
        for (int s = 0; s <= t; s++)
            row[s] += term[t] * term[s];
        for (int k = 0; k < r->n_out; k++)
            right[k] += term[t] * value[k];
    }
}

/* to [n] -= factor * from. */
static inline void response_subtract(double *restrict to, const double *restrict from, double factor, int n) {
    for (int k = 0; k < n; k++)
        to[k] -= factor * from[k];
}

/* r->coef becomes the solution, from the Cholesky factor L [n_terms][n_terms]: forward, then backward substitution, all
   outputs at once. */
static inline void response_substitute(response *r, const double *L) {
    int n = r->n_terms;
    int outputs = r->n_out;
    for (int t = 0; t < n; t++) {
        double *row = r->coef + t * outputs;
        for (int s = 0; s < t; s++)
            response_subtract(row, r->coef + s * outputs, L[t * n + s], outputs);
        for (int k = 0; k < outputs; k++)
            row[k] /= L[t * n + t];
    }
    for (int t = n - 1; t >= 0; t--) {
        double *row = r->coef + t * outputs;
        for (int s = t + 1; s < n; s++)
            response_subtract(row, r->coef + s * outputs, L[s * n + t], outputs);
        for (int k = 0; k < outputs; k++)
            row[k] /= L[t * n + t];
    }
}

/* Fits value [n][n_out] at theta [n][n_dim] by least squares, with the highest degree up to max_degree that leaves at
   least ten points a term. Normal equations: the whitened coordinates keep them well conditioned, and a ridge of 1e-9
   guards the rest. 0, or -1 when there are too few points or memory is short; r owns its coefficients. */
static inline int response_fit(response *r, const double *theta, const double *value, long n, int n_dim, int n_out,
                               int max_degree) {
    memset(r, 0, sizeof *r);
    r->n_dim = n_dim;
    r->n_out = n_out;
    if (n_dim < 1 || n_dim > RESPONSE_DIM) {
        return -1;
    }
    const int degree = response_degree(n_dim, n, max_degree);
    if (n < 4 * response_count(n_dim, degree)) {
        return -1;
    }
    if (response_whiten(r, theta, n)) {
        return -1;
    }
    response_terms(r, degree);
    const size_t terms = (size_t)r->n_terms;
    double *normal = calloc(terms * terms, sizeof *normal);
    double *term = malloc(terms * sizeof *term);
    r->coef = calloc(terms * (size_t)n_out, sizeof *r->coef);
    int status = normal && term && r->coef ? 0 : -1;
    for (long p = 0; p < n && !status; p++) {
        response_basis(term, r, theta + p * n_dim);
        response_add(r, normal, term, value + p * n_out);
    }
    for (size_t t = 0; t < terms && !status; t++)
        normal[t * terms + t] *= 1 + 1e-9;
    if (!status) {
        status = cholesky(normal, r->n_terms);
    }
    if (!status) {
        response_substitute(r, normal);
    }
    free(normal);
    free(term);
    if (status) {
        response_free(r);
    }
    return status;
}

/* ==== a network for the SSC solver ================================================================================ */

/* A surrogate gives log10(x^2 n) of bml_ssc.h (total, comoving) from the row of six parameters of
   bml_ssc_source_from_row. What the network gives are node values on a log10 x axis that moves with the source:

     kind     nodes
     mlp      synchrotron and Compton apart. Synchrotron nodes hang on the critical energy of gamma_max, and their
              values have the exponential cut-off taken out; Compton nodes hang on the kinematic edge x = gamma_max.
              Between nodes a cubic, as the solver has it. Above the edge there is nothing: that is computed, not learned.
     plain    500 values of the total on fixed log10 x = -15 ... 10, straight lines between: what the nets of
              Tzavellas et al. (2024) give. A value below -29.9 counts as nothing.

   On the ATHENA grid frames move in the steps of that grid (gamma in 0.1 dex, x in 0.2 dex from b on), straight lines
   stand between nodes, and where the parameters stand within a step (the phases) is told to the network.
   The file holds the network, grid, physics, domain and error: see surrogate_save. Include bml_ssc.h and bml_nn.h
   first. */
enum {
    SSC_ROW = 6,
    SURROGATE_INPUTS = 9,
    SURROGATE_GRID = 500,
    SURROGATE_NODES = 500,
    SURROGATE_ERRORS = 101,
    SURROGATE_BLEND = 2048
};
enum { SURROGATE_MLP, SURROGATE_PLAIN };
static const double surrogate_floor = -30; /* of log10(x^2 n): less counts as this, as published */

static const char *const ssc_row_names[SSC_ROW] = {"log_R", "log_B", "log_gamma_min", "log_gamma_max", "log_l_e", "p"};
static const char surrogate_row_text[] = "log10 R [cm], log10 B [G], log10 gamma_min, log10 gamma_max, log10 l_e, p";
static const char surrogate_value_text[] = "log10(x^2 n), x = h nu/(m_e c^2), n in 1/(sigma_T R)";

/* Where a network may be asked: lo <= row <= hi, gamma_max at least `span` dex above gamma_min and confined by the
   blob. */
typedef struct surrogate_domain {
    double lo[SSC_ROW];
    double hi[SSC_ROW];
    double span;
} surrogate_domain;

/* The ranges of Tzavellas et al. (2024), Table 1. */
static const surrogate_domain published_domain = {{14, -2, 0.1, 2.1, -5, 1.5}, {17, 2, 4, 8, -1, 3}, 2};

/* A run of nodes at first, first - step, ... [log10 x]. */
typedef struct surrogate_run {
    double first;
    double step;
    int from; /* which of the network's outputs */
    int n;
} surrogate_run;

/* The axis of one source. */
typedef struct surrogate_frame {
    surrogate_run run[2];
    int n_runs;
    double cutoff; /* log10 x of the critical energy of gamma_max; the cut-off exp(-x/x_c) is added to run 0 */
    double edge;   /* nothing above [log10 x] */
    int straight;  /* the solver draws lines from node to node of the total */
} surrogate_frame;

typedef struct surrogate {
    bml_nn *net; /* owned */
    int kind;
    int grid;
    int self_absorption; /* of the sources that it was trained on */
    int pair_production;
    surrogate_domain domain;
    float error[SURROGATE_ERRORS];    /* rms on held-out spectra [dex] at log10 x = -15, -14.75, ... 10 */
    float blend[SURROGATE_BLEND + 2]; /* log10(1 + 10^-d) at d = i/256 */
} surrogate;

/* Highest log10 gamma that the blob of this row confines. */
static inline double ssc_row_confined(const double *row) {
    return row[0] + row[1] + log10(bml_ssc_gamma_confined(1, 1));
}

/* NULL, or what is wrong with row [SSC_ROW]: the name of the parameter that is outside. */
static inline const char *surrogate_outside(const surrogate_domain *d, const double *row) {
    const double rounding = 1e-6; /* files hold the domain in float */
    for (int k = 0; k < SSC_ROW; k++) {
        const double lowest = d->lo[k] - rounding;
        const double highest = d->hi[k] + rounding;
        if (!(row[k] >= lowest && row[k] <= highest)) {
            return ssc_row_names[k];
        }
    }
    const double least = row[2] + d->span - rounding;
    const double most = ssc_row_confined(row) + rounding;
    if (row[3] < least || row[3] > most) {
        return ssc_row_names[3];
    }
    return NULL;
}

enum { SYN_NODES = 96 };
enum { COM_NODES = 165 };
enum { ATHENA_COM_NODES = 84 };

/* Number of outputs of a network of this kind and grid. */
static inline int surrogate_n_out(int kind, int grid) {
    if (kind == SURROGATE_PLAIN) {
        return SURROGATE_GRID;
    }
    const int compton = grid == BML_SSC_ATHENA ? ATHENA_COM_NODES : COM_NODES;
    return SYN_NODES + compton;
}

/* A run of nodes n, whose first is at log10 x = first, among the network's outputs `from` on. */
static inline surrogate_run surrogate_make_run(double first, double step, int from, int n) {
    surrogate_run r;
    r.first = first;
    r.step = step;
    r.from = from;
    r.n = n;
    return r;
}

/* The frame of a source on the ATHENA grid, and the three phases that its network is told. */
static inline void surrogate_place_athena(surrogate_frame *f, float *phase, const double *row, double log_b) {
    const double top = floor(10 * row[3] + 1e-8) / 10;
    const double bottom = ceil(10 * row[2] - 1e-8) / 10;
    const double steps = (top - log_b) / 0.2;
    f->edge = log_b + 0.2 * (ceil(steps - 1e-9) - 1);
    f->cutoff = log_b + 2 * top;
    f->run[0] = surrogate_make_run(f->cutoff + 1.8, 0.2, 0, SYN_NODES);
    f->run[1] = surrogate_make_run(f->edge, 0.2, SYN_NODES, ATHENA_COM_NODES);
    phase[0] = (float)bottom;
    phase[1] = (float)top;
    phase[2] = (float)((top - f->edge) / 0.2);
}

/* The axis of a source, and what its network is told: input [SURROGATE_INPUTS]; returns how many numbers that is. */
static inline int surrogate_place(surrogate_frame *f, float *input, int kind, int grid, const double *row) {
    int n = SSC_ROW;
    memset(f, 0, sizeof *f);
    f->straight = kind == SURROGATE_PLAIN || grid == BML_SSC_ATHENA;
    for (int k = 0; k < SSC_ROW; k++)
        input[k] = (float)row[k];
    if (kind == SURROGATE_PLAIN) {
        const double down = -25.0 / (SURROGATE_GRID - 1);
        f->run[0] = surrogate_make_run(-15, down, 0, SURROGATE_GRID);
        f->n_runs = 1;
        f->edge = 10;
        return n;
    }
    const double log_b = row[1] - log10(4.414e13);
    f->n_runs = 2;
    if (grid == BML_SSC_ATHENA) {
        surrogate_place_athena(f, input + n, row, log_b);
        n += 3;
    } else {
        f->edge = row[3];
        f->cutoff = log_b + 2 * row[3];
        f->run[0] = surrogate_make_run(f->cutoff + 1.8, 0.2, 0, SYN_NODES);
        f->run[1] = surrogate_make_run(f->edge - 0.05, 0.1, SYN_NODES, COM_NODES); /* the solver's own nodes */
    }
    f->cutoff += log10(1.5);
    return n;
}

/* Where log10_x falls among a run's nodes: value = sum weight [4] x node [first + .], slope likewise. Straight lines,
   or a cubic (Catmull & Rom) where four nodes are there, as the solver has it. */
typedef struct surrogate_stencil {
    int first;
    double weight[4];
    double slope[4]; /* d/d(log10 x) */
} surrogate_stencil;

/* u, or the nearer of 0 and hi. */
static inline double surrogate_within(double u, double hi) {
    if (u < 0) {
        return 0;
    }
    return u < hi ? u : hi;
}

static inline int surrogate_clamp(int i, int lo, int hi) {
    if (i < lo) {
        return lo;
    }
    return i > hi ? hi : i;
}

static inline surrogate_stencil surrogate_between(const surrogate_run *r, int straight, double log10_x) {
    surrogate_stencil s = {0, {0, 0, 0, 0}, {0, 0, 0, 0}};
    const double u = (r->first - log10_x) / r->step;
    const double per = -1 / r->step;
    const double last = r->n - 2;
    const int k = (int)surrogate_within(u, last);
    const double w = u - k;
    const int inside = k >= 1 && k <= r->n - 3;
    s.first = surrogate_clamp(k - 1, 0, r->n - 4);
    if (straight || !inside || w < 0 || w > 1) {
        s.weight[k - s.first] = 1 - w;
        s.weight[k - s.first + 1] = w;
        s.slope[k - s.first] = -per;
        s.slope[k - s.first + 1] = per;
        return s;
    }
    s.weight[0] = 0.5 * w * (-1 + w * (2 - w));
    s.slope[0] = 0.5 * per * (-1 + w * (4 - 3 * w));
    s.weight[1] = 1 + 0.5 * w * w * (-5 + 3 * w);
    s.slope[1] = 0.5 * per * w * (-10 + 9 * w);
    s.weight[2] = 0.5 * w * (1 + w * (4 - 3 * w));
    s.slope[2] = 0.5 * per * (1 + w * (8 - 9 * w));
    s.weight[3] = 0.5 * w * w * (w - 1);
    s.slope[3] = 0.5 * per * w * (3 * w - 2);
    return s;
}

static inline double surrogate_sum(const float *v, const double *weight) {
    double sum = weight[0] * (double)v[0];
    for (int k = 1; k < 4; k++)
        sum += weight[k] * (double)v[k];
    return sum;
}

/* What is added to run r at log10_x: the exponential cut-off exp(-x/x_c) of the synchrotron nodes. */
static inline double surrogate_cutoff(const surrogate_frame *f, int r, double log10_x) {
    const int falls = r == 0 && f->n_runs == 2 && log10_x > f->cutoff - 8;
    return falls ? -0.43429448190325 * pow(10, log10_x - f->cutoff) : 0;
}

static inline void surrogate_blend_table(surrogate *s) {
    for (int i = 0; i < SURROGATE_BLEND + 2; i++)
        s->blend[i] = (float)log10(1 + pow(10, -i / 256.0));
}

/* log10(10^a + 10^b), to 2e-6. */
static inline double surrogate_blend(const surrogate *s, double a, double b) {
    const double hi = a > b ? a : b;
    const double d = 256 * (a > b ? a - b : b - a);
    if (!(d < SURROGATE_BLEND)) {
        return hi;
    }
    const int i = (int)d;
    const double y = (double)s->blend[i];
    const double next = (double)s->blend[i + 1];
    return hi + y + (d - i) * (next - y);
}

/* log10 x of the last node. */
static inline double surrogate_run_end(const surrogate_run *r) {
    return r->first - (r->n - 1) * r->step;
}

/* Compton nodes end where they stop to count. */
static inline int surrogate_run_counts(const surrogate_frame *f, int r, double log10_x) {
    return r == 0 || log10_x >= surrogate_run_end(&f->run[r]);
}

/* The sum of the runs at log10_x, smooth between nodes; part [2]: each run's, unless NULL. */
static inline double surrogate_total(const surrogate *s, const surrogate_frame *f, const float *node, double log10_x,
                                     double *part) {
    double value[2] = {-HUGE_VAL, -HUGE_VAL};
    for (int r = 0; r < f->n_runs; r++) {
        if (!surrogate_run_counts(f, r, log10_x)) {
            continue;
        }
        const surrogate_run *run = &f->run[r];
        const surrogate_stencil at = surrogate_between(run, f->straight, log10_x);
        const float *own = node + run->from + at.first;
        value[r] = surrogate_sum(own, at.weight) + surrogate_cutoff(f, r, log10_x);
    }
    if (part) {
        memcpy(part, value, sizeof value);
    }
    return f->n_runs == 2 ? surrogate_blend(s, value[0], value[1]) : value[0];
}

static inline int surrogate_reaches(const surrogate_frame *f, double log10_x) {
    return log10_x <= f->edge && log10_x > -60;
}

/* The total log10(x^2 n) at log10_x from the network's outputs node [n_out]; -HUGE_VAL: nothing there. */
static inline double surrogate_at(const surrogate *s, const surrogate_frame *f, const float *node, double log10_x) {
    if (!surrogate_reaches(f, log10_x)) {
        return -HUGE_VAL;
    }
    if (s->kind == SURROGATE_PLAIN) {
        const double y = surrogate_total(s, f, node, log10_x, NULL);
        return y < surrogate_floor + 0.1 ? -HUGE_VAL : y;
    }
    if (!f->straight) {
        return surrogate_total(s, f, node, log10_x, NULL);
    }
    const double u = (f->edge - log10_x) / 0.2;
    const double k = floor(u);
    const double above = f->edge - 0.2 * k;
    const double y = surrogate_total(s, f, node, above, NULL);
    const double next = surrogate_total(s, f, node, above - 0.2, NULL);
    return y + (u - k) * (next - y);
}

/* The way back through surrogate_at, for a change `by` of its value y: adds to d_node [n_out], and to d_row [SSC_ROW]
   what comes of the frame's motion. Returns dy/d(log10 x). Converged grid only: the other one's frames move in
   steps. */
static inline double surrogate_back(float *d_node, double *d_row, const surrogate *s, const surrogate_frame *f,
                                    const float *node, double log10_x, double by) {
    double part[2];
    double total = 0;
    if (!surrogate_reaches(f, log10_x)) {
        return 0;
    }
    const double y = surrogate_total(s, f, node, log10_x, part);
    if (s->kind == SURROGATE_PLAIN && y < surrogate_floor + 0.1) {
        return 0; /* as surrogate_at has it */
    }
    for (int r = 0; r < f->n_runs; r++) {
        if (!(part[r] > -HUGE_VAL)) {
            continue;
        }
        const surrogate_run *run = &f->run[r];
        const surrogate_stencil at = surrogate_between(run, f->straight, log10_x);
        const int own = run->from + at.first; /* of the nodes, the first that counts here */
        const double share = f->n_runs == 1 ? 1 : pow(10, part[r] - y);
        const double of_nodes = surrogate_sum(node + own, at.slope);
        const double of_cutoff = 2.302585092994046 * surrogate_cutoff(f, r, log10_x);
        const double slope = share * (of_nodes + of_cutoff);
        for (int k = 0; k < 4; k++)
            d_node[own + k] += (float)(by * share * at.weight[k]);
        if (f->n_runs == 2) { /* synchrotron nodes move with b gamma_max^2, Compton nodes with gamma_max */
            d_row[3] -= by * slope * (r == 0 ? 2 : 1);
            d_row[1] -= r == 0 ? by * slope : 0;
        }
        total += slope;
    }
    return total;
}

/* The grid points k = from ... to - 1 at the ends of a run, where four nodes are not there. */
static inline void surrogate_run_ends(float *restrict y, const float *restrict v, const surrogate_run *r, int straight,
                                      int from, int to) {
    const double by = 25.0 / (SURROGATE_GRID - 1);
    const double first = (r->first + 15) / r->step;
    const double each = -by / r->step;
    for (int side = 0; side < 2; side++)
        for (int i = from; i < to; i++) {
            const int k = side ? to - 1 - (i - from) : i;
            const double u = first + each * k;
            if (u >= 1 && u <= r->n - 2) {
                break;
            }
            const double log10_x = -15 + by * k;
            const surrogate_stencil at = surrogate_between(r, straight, log10_x);
            y[k] = (float)surrogate_sum(v + at.first, at.weight);
        }
}

/* A run at grid points k = from ... to - 1: surrogate_between's arithmetic in an order that suits vectors. */
static inline void surrogate_run_on_grid(float *restrict y, const float *restrict v, const surrogate_run *r,
                                         int straight, int from, int to) {
    const double by = 25.0 / (SURROGATE_GRID - 1);
    const double first = (r->first + 15) / r->step;
    const double each = -by / r->step;
    const float u0 = (float)first;
    const float du = (float)each;
    const float bend = straight ? 0 : 0.5f;
    const float last = (float)(r->n - 3);
    for (int k = from; k < to; k++) {
        const float u = u0 + du * (float)k;
        const float low = u > 1 ? u : 1;
        const int i = (int)(low < last ? low : last);
        const float w = u - (float)i;
        const float y0 = v[i - 1];
        const float y1 = v[i];
        const float y2 = v[i + 1];
        const float y3 = v[i + 2];
        const float a = 2 * y1 - y0 - y2;
        const float b = 2 * y2 - y1 - y3; /* the cubic: a line, and a share of the bend at each end */
        const float line = y1 + w * (y2 - y1);
        const float bends = (1 - w) * a + w * b;
        y[k] = line + bend * w * (1 - w) * bends;
    }
    surrogate_run_ends(y, v, r, straight, from, to);
}

/* a [to] becomes log10(10^a + 10^b) from `from` on. */
static inline void surrogate_blend_on_grid(float *restrict a, const float *restrict b, const float *restrict table,
                                           int from, int to) {
    for (int k = from; k < to; k++) {
        const float hi = a[k] > b[k] ? a[k] : b[k];
        const float far = 256 * fabsf(a[k] - b[k]);
        const float d = far < SURROGATE_BLEND ? far : SURROGATE_BLEND;
        const int i = (int)d;
        const float rise = table[i + 1] - table[i];
        a[k] = hi + table[i] + (d - (float)i) * rise;
    }
}

/* First grid point at or above log10_x. */
static inline int surrogate_grid_from(double log10_x) {
    const double k = ceil((log10_x + 15) * (SURROGATE_GRID - 1) / 25);
    return (int)surrogate_within(k, SURROGATE_GRID);
}

/* surrogate_spectrum where lines go from node to node of the total: each node once. */
static inline void surrogate_spectrum_straight(float *y, const surrogate *s, const surrogate_frame *f,
                                               const float *node) {
    double above = 0;
    double below = 0;
    int have = -1;
    for (int k = SURROGATE_GRID - 1; k >= 0; k--) {
        const double above_lowest = 25.0 * k / (SURROGATE_GRID - 1); /* log10 x = -15 */
        const double u = (f->edge + 15 - above_lowest) / 0.2;
        y[k] = (float)surrogate_floor;
        if (u < 0) {
            continue;
        }
        for (; have < (int)u; have++) {
            const double next = f->edge - 0.2 * (have + 2);
            above = below;
            if (have < 0) {
                above = surrogate_total(s, f, node, f->edge, NULL);
            }
            below = surrogate_total(s, f, node, next, NULL);
        }
        const double between = above + (u - have) * (below - above);
        y[k] = (float)fmax(between, surrogate_floor);
    }
}

/* y [SURROGATE_GRID] at log10 x = -15 ... 10, at least surrogate_floor: what surrogate_at gives, for all at once. */
static inline void surrogate_spectrum(float *y, const surrogate *s, const surrogate_frame *f, const float *node) {
    const double by = 25.0 / (SURROGATE_GRID - 1);
    const int edge = surrogate_grid_from(f->edge + 1e-9);
    const float least = (float)surrogate_floor;
    float total[SURROGATE_GRID];
    float compton[SURROGATE_GRID];
    if (f->straight && s->kind == SURROGATE_MLP) {
        surrogate_spectrum_straight(y, s, f, node);
        return;
    }
    const surrogate_run *lower = &f->run[0];
    surrogate_run_on_grid(total, node + lower->from, lower, f->straight, 0, edge);
    if (f->n_runs == 2) {
        const surrogate_run *r = &f->run[1];
        const int from = surrogate_grid_from(surrogate_run_end(r));
        const int falling = surrogate_grid_from(f->cutoff - 8);
        const double ratio = pow(10, by);
        double falls = surrogate_cutoff(f, 0, -15 + by * falling);
        for (int k = falling; k < edge; k++) {
            total[k] += (float)falls;
            falls *= ratio;
        }
        surrogate_run_on_grid(compton, node + r->from, r, f->straight, from, edge);
        surrogate_blend_on_grid(total, compton, s->blend, from, edge);
    }
    for (int k = 0; k < edge; k++)
        y[k] = total[k] > least ? total[k] : least;
    for (int k = edge; k < SURROGATE_GRID; k++)
        y[k] = least;
}

/* Node values of a solved blob, node [n_out of an mlp]: what its network learns. Where one component is `relevant` dex
   below the other, which then makes the total to 5e-4 dex, its value does not matter and only a bound is given: bound +
   SURROGATE_BOUND. */
enum { SURROGATE_BOUND = 1000 };
static inline void surrogate_nodes(float *node, const bml_ssc_blob *blob, const surrogate_frame *f) {
    const double relevant = 3;
    const double nudge = 1e-9; /* nudge: a node that rounding puts above the edge */
    double x[SURROGATE_NODES];
    double y[2][SURROGATE_NODES];
    for (int r = 0; r < 2; r++) {
        const surrogate_run *run = &f->run[r];
        for (int k = 0; k < run->n; k++)
            x[k] = run->first - run->step * k - nudge;
        bml_ssc_spectrum(y[0], x, run->n, blob, BML_SSC_SYNCHROTRON);
        bml_ssc_spectrum(y[1], x, run->n, blob, BML_SSC_COMPTON);
        for (int k = 0; k < run->n; k++) {
            const double own = y[r][k];
            const double other = y[1 - r][k];
            const double bound = fmax(other - relevant, surrogate_floor - 2);
            const double cut = surrogate_cutoff(f, r, x[k]);
            const double value = own > bound ? own : SURROGATE_BOUND + bound;
            node[run->from + k] = (float)(value - cut);
        }
    }
}

/* ---- files: what a network must say of itself ---- */

static inline void surrogate_free(surrogate *s) {
    bml_nn_free(s->net);
    s->net = NULL;
}

static const char *const surrogate_kinds[] = {"mlp", "plain"};
static const char *const surrogate_grids[] = {"converged", "athena"};
static const char *const surrogate_physics[] = {
    "synchrotron, self-Compton", "synchrotron, self-Compton, self-absorption",
    "synchrotron, self-Compton, pair production", "synchrotron, self-Compton, self-absorption, pair production"};

static inline int surrogate_index(const char *const *words, int n, const char *word) {
    for (int i = 0; word && i < n; i++)
        if (!strcmp(words[i], word)) {
            return i;
        }
    return -1;
}

/* What bml_nn says of a file. Its message is the path itself, or the start of a long one, where the file could not be
   opened or written: that is not said twice. Returns -1. */
static inline int surrogate_file_error(char *err, const char *path, int status, const char *why) {
    const char *said = bml_nn_strerror(status);
    if (!strncmp(why, path, strlen(why))) {
        return error_set(err, "%.300s: %s", path, said);
    }
    return error_set(err, "%.300s: %s: %.150s", path, said, why);
}

/* Writes PATH: bml_nn.h's safetensors with texts surrogate_kind, _grid, _physics, _parameters, _values and arrays
   surrogate_domain [13], surrogate_error [SURROGATE_ERRORS]. */
static inline int surrogate_save(surrogate *s, const char *path, char *err) {
    float domain[2 * SSC_ROW + 1];
    int status = 0;
    for (int k = 0; k < SSC_ROW; k++) {
        domain[k] = (float)s->domain.lo[k];
        domain[SSC_ROW + k] = (float)s->domain.hi[k];
    }
    domain[2 * SSC_ROW] = (float)s->domain.span;
    status |= bml_nn_set_text(s->net, "surrogate_kind", surrogate_kinds[s->kind]);
    status |= bml_nn_set_text(s->net, "surrogate_grid", surrogate_grids[s->grid]);
    const int physics = !!s->self_absorption + 2 * !!s->pair_production;
    status |= bml_nn_set_text(s->net, "surrogate_physics", surrogate_physics[physics]);
    status |= bml_nn_set_text(s->net, "surrogate_parameters", surrogate_row_text);
    status |= bml_nn_set_text(s->net, "surrogate_values", surrogate_value_text);
    status |= bml_nn_set_array(s->net, "surrogate_domain", domain, 2 * SSC_ROW + 1);
    status |= bml_nn_set_array(s->net, "surrogate_error", s->error, SURROGATE_ERRORS);
    if (status) {
        return error_set(err, "%.300s: %s", path, bml_nn_message(s->net));
    }
    status = bml_nn_save(s->net, path, BML_NN_F32);
    if (status) {
        return surrogate_file_error(err, path, status, bml_nn_message(s->net));
    }
    return 0;
}

/* What is wrong with the net that was read, or NULL. */
static inline const char *surrogate_check(surrogate *s) {
    float input[SURROGATE_INPUTS];
    size_t n_domain = 0;
    size_t n_error = 0;
    const bml_nn_real *domain = bml_nn_get_array(s->net, "surrogate_domain", &n_domain);
    const bml_nn_real *error = bml_nn_get_array(s->net, "surrogate_error", &n_error);
    const char *parameters = bml_nn_get_text(s->net, "surrogate_parameters");
    const char *values = bml_nn_get_text(s->net, "surrogate_values");
    const char *physics_text = bml_nn_get_text(s->net, "surrogate_physics");
    const char *kind = bml_nn_get_text(s->net, "surrogate_kind");
    const char *grid = bml_nn_get_text(s->net, "surrogate_grid");
    const int physics = surrogate_index(surrogate_physics, 4, physics_text);
    s->kind = surrogate_index(surrogate_kinds, 2, kind);
    s->grid = surrogate_index(surrogate_grids, 2, grid);
    if (s->kind < 0 || s->grid < 0 || physics < 0) {
        return "is no network of train_surrogate, or of another version";
    }
    if (!parameters || strcmp(parameters, surrogate_row_text)) {
        return "has other parameters than "
               "log10 R, B, gamma_min, gamma_max, l_e, p";
    }
    if (!values || strcmp(values, surrogate_value_text)) {
        return "gives other values than log10(x^2 n)";
    }
    if (n_domain != 2 * SSC_ROW + 1 || n_error != SURROGATE_ERRORS) {
        return "lacks its domain or its error";
    }
    s->self_absorption = physics & 1;
    s->pair_production = physics >> 1;
    for (int k = 0; k < SSC_ROW; k++) {
        s->domain.lo[k] = (double)domain[k];
        s->domain.hi[k] = (double)domain[SSC_ROW + k];
    }
    s->domain.span = (double)domain[2 * SSC_ROW];
    memcpy(s->error, error, sizeof s->error);
    surrogate_frame frame;
    const int n_in = surrogate_place(&frame, input, s->kind, s->grid, s->domain.hi);
    const int n_out = surrogate_n_out(s->kind, s->grid);
    if (bml_nn_n_in(s->net) != (size_t)n_in || bml_nn_n_out(s->net) != (size_t)n_out) {
        return "has another number of inputs or outputs than its kind";
    }
    return NULL;
}

/* Reads such a file. */
static inline int surrogate_load(surrogate *s, const char *path, char *err) {
    memset(s, 0, sizeof *s);
    surrogate_blend_table(s);
    char why[BML_NN_MESSAGE];
    const int status = bml_nn_load(&s->net, path, why);
    if (status) {
        return surrogate_file_error(err, path, status, why);
    }
    const char *wrong = surrogate_check(s);
    if (wrong) {
        surrogate_free(s);
        return error_set(err, "%.300s: %s", path, wrong);
    }
    return 0;
}

/* The network's own rms error [dex] at log10_x. */
static inline double surrogate_error_at(const surrogate *s, double log10_x) {
    const double u = (log10_x + 15) / 0.25;
    const double last = SURROGATE_ERRORS - 2;
    const int k = (int)surrogate_within(u, last);
    const double w = surrogate_within(u - k, 1);
    const double here = (double)s->error[k];
    const double next = (double)s->error[k + 1];
    return (1 - w) * here + w * next;
}
#endif
