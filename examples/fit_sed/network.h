/* network.h: the likelihood by a network of train_surrogate in the solver's place, and its gradient. Public domain or
   MIT, see LICENSE. */
#ifndef FIT_SED_NETWORK_H
#define FIT_SED_NETWORK_H
#include "model.h"

/* The parameters of the solver's row that the network is asked for; NULL, or why it must not be. */
static const char *net_outside(const problem *p, const double *full) {
    return surrogate_outside(&p->net.domain, full); /* R ... P stand first, in the row's order */
}

/* ln likelihood of point i, for model flux log10_F, and its derivatives. The formula of bml_ssc_log_likelihood. */
typedef struct slope_point {
    double by_flux; /* d/d(log10 F) */
    double by_ln_f; /* d/d(ln f) */
} slope_point;

/* The error of an upper limit [erg cm^-2 s^-1]: its own, or that of one of 95 %. */
static double limit_sigma(const bml_ssc_point *d) {
    return d->sigma_hi > 0 ? d->sigma_hi : d->nuFnu / 1.6448536269514722;
}

/* phi(t)/Phi(t) of the normal distribution, which is -t far below. */
static double inverse_mills(double t) {
    if (!(t > -30)) {
        return -t;
    }
    const double u = -t / 1.4142135623730951;
    const double below = 1.2533141373155003 * erfc(u);
    const double peak = exp(-0.5 * t * t);
    return peak / below;
}

static slope_point ln_likelihood_slope(const bml_ssc_point *d, double log_data, double log10_F, double ln_f) {
    slope_point s = {0, 0};
    if (d->upper_limit) {
        const double sigma = limit_sigma(d);
        const double F = pow(10, log10_F);
        const double t = (d->nuFnu - F) / sigma;
        const double dF = 2.302585092994046 * F; /* by log10 F */
        s.by_flux = -dF / sigma * inverse_mills(t);
        return s;
    }
    const double r = log10_F - log_data;
    const double side = r > 0 ? d->sigma_hi : d->sigma_lo;
    const double f2 = exp(2 * ln_f);
    const double v = side * side + f2;
    const double chi2 = r * r / v;
    s.by_flux = -r / v;
    s.by_ln_f = f2 * (chi2 - 1) / v;
    return s;
}

/* The data as the network should see them: its own error, at the energies it is asked for, joins the quoted ones. */
static const bml_ssc_point *net_points(const problem *p, net_desk *k, const double *full) {
    if (!p->opt->model_error) {
        return p->sed.point;
    }
    for (int i = 0; i < p->sed.n; i++) {
        bml_ssc_point *d = &k->point[i];
        const double log10_x = p->log10_x[i] - full[DELTA];
        const double e = surrogate_error_at(&p->net, log10_x);
        *d = p->sed.point[i];
        if (d->upper_limit) {
            const double own = 2.302585092994046 * e * d->nuFnu;
            d->sigma_hi = hypot(limit_sigma(d), own);
        } else {
            d->sigma_lo = hypot(d->sigma_lo, e);
            d->sigma_hi = hypot(d->sigma_hi, e);
        }
    }
    return k->point;
}

/* log10 of what a source's x^2 n is multiplied by on the way to nu F_nu. */
static double log10_scale(const problem *p, const double *full) {
    return p->log10_area + full[R] + 4 * full[DELTA];
}

/* ln likelihood of one row from its nodes; y [sed.n] out: log10 of the fluxes. */
static double net_likelihood(double *y, const problem *p, net_desk *k, int row, const double *full) {
    const size_t n_out = bml_nn_n_out(p->net.net);
    const float *node = k->node + (size_t)row * n_out;
    const surrogate_frame *f = &k->frame[row];
    const double scale = log10_scale(p, full);
    for (int i = 0; i < p->sed.n; i++) {
        const double log10_x = p->log10_x[i] - full[DELTA];
        const double own = surrogate_at(&p->net, f, node, log10_x);
        y[i] = p->fade[i] + scale + own;
    }
    const bml_ssc_point *point = net_points(p, k, full);
    return ln_likelihood_dex(p, point, y, full);
}

/* Its gradient by all parameters but those that act through the network's inputs: those go to d_node of the row. y:
   from net_likelihood. */
static void net_gradient(double *d_full, const problem *p, net_desk *k, int row, const double *y, const double *full) {
    const size_t n_out = bml_nn_n_out(p->net.net);
    const size_t first = (size_t)row * n_out;
    const float *node = k->node + first;
    float *d_node = k->d_node + first;
    const bml_ssc_point *point = net_points(p, k, full);
    const surrogate_frame *f = &k->frame[row];
    memset(d_full, 0, N_PAR * sizeof *d_full);
    for (int i = 0; i < p->sed.n; i++) {
        if (!(y[i] > -HUGE_VAL)) {
            continue; /* a limit that nothing reaches */
        }
        const int scatter = LN_F + p->group[i];
        const double log10_x = p->log10_x[i] - full[DELTA];
        const double log_data = p->log_data[i];
        const slope_point g = ln_likelihood_slope(&point[i], log_data, y[i], full[scatter]);
        const double by_flux = g.by_flux;
        const double by_ln_f = g.by_ln_f;
        const double by_x = surrogate_back(d_node, d_full, &p->net, f, node, log10_x, by_flux);
        d_full[R] += by_flux;
        d_full[DELTA] += by_flux * (4 - by_x);
        d_full[scatter] += by_ln_f;
    }
}

/* What the network is told of a row; 0 where it must not be asked: it then hears of another one. */
static int net_ask(surrogate_frame *f, float *input, const problem *p, const double *row) {
    static const double harmless[N_PAR] = {16, 0, 2, 6, -3, 2, 0, 0};
    const int inside = allowed(p, row) && !net_outside(p, row);
    const double *asked = inside ? row : harmless;
    surrogate_place(f, input, p->net.kind, p->net.grid, asked);
    return inside;
}

/* --protons: what the network is told of a row; 0 where it was not trained. */
static int proton_net_ask(float *input, const problem *p, const double *row) {
    static const int extra[] = {L_P, GAMMA_P, P_P};
    const float rounding = 1e-6f; /* files hold the domain in float */
    const float *lo = p->protons.domain[0];
    const float *hi = p->protons.domain[1];
    int inside = allowed(p, row);
    for (int k = 0; k < PROTON_ROW; k++) {
        const int parameter = k < SSC_ROW ? k : extra[k - SSC_ROW];
        const float x = (float)row[parameter];
        inside &= x >= lo[k] - rounding;
        inside &= x <= hi[k] + rounding;
        input[k] = x;
    }
    for (int k = 0; k < PROTON_ROW && !inside; k++)
        input[k] = lo[k];
    return inside;
}

/* A network that fails fails the program. */
static void net_must(int status, const problem *p) {
    if (status) {
        fail("fit_sed: %s: %s", p->opt->model, bml_nn_strerror(status));
    }
}

/* net_block for it, without gradients: the solver has the last word on all that comes of them. */
static void proton_net_block(double *ln_l, double *dex, const double *full, int n, problem *p, net_desk *k) {
    int inside[NET_ROWS];
    for (int i = 0; i < n; i++) {
        float *input = k->input + i * PROTON_ROW;
        const double *row = full + i * N_PAR;
        inside[i] = proton_net_ask(input, p, row);
    }
    const size_t rows = (size_t)n;
    const bml_nn *net = p->net.net;
    const int status = bml_nn_predict(net, k->work, k->node, k->input, rows);
    net_must(status, p);
    for (int i = 0; i < n; i++) {
        const double *row = full + i * N_PAR;
        const float *node = k->node + i * PROTON_NODES;
        const double scale = log10_scale(p, row);
        double *y = dex + i * p->sed.n;
        for (int j = 0; j < p->sed.n; j++) {
            const double log10_x = p->log10_x[j] - row[DELTA];
            const double own = proton_net_at(node, &proton_parts[0], log10_x);
            y[j] = p->fade[j] + scale + own;
        }
        ln_l[i] = -HUGE_VAL;
        if (inside[i]) {
            ln_l[i] = ln_likelihood_dex(p, p->sed.point, y, row);
        }
    }
}

/* ln likelihoods of n <= NET_ROWS points of all parameters, full [n][N_PAR], their gradients d_full [n][N_PAR] unless
   NULL, and dex [n][sed.n]. */
static void net_block(double *ln_l, double *d_full, double *dex, const double *full, int n, problem *p, net_desk *k) {
    const size_t n_in = bml_nn_n_in(p->net.net);
    const size_t n_out = bml_nn_n_out(p->net.net);
    const size_t rows = (size_t)n;
    const size_t size = rows * n_out * sizeof(float);
    bml_nn *net = p->net.net;
    int inside[NET_ROWS];
    int status = BML_NN_OK;
    for (int i = 0; i < n; i++) {
        const double *row = full + i * N_PAR;
        float *input = k->input + (size_t)i * n_in;
        inside[i] = net_ask(&k->frame[i], input, p, row);
    }
    if (k->given) {
        memcpy(k->node, k->given, size);
    } else {
        status = bml_nn_predict(net, k->work, k->node, k->input, rows);
    }
    if (d_full) {
        memset(k->d_node, 0, size);
    }
    const int solves = p->opt->outside == OUTSIDE_SOLVE;
    int solved;
    for (int i = 0; i < n; i++) {
        const double *row = full + i * N_PAR;
        double *y = dex + i * p->sed.n;
        ln_l[i] = -HUGE_VAL;
        if (inside[i]) {
            ln_l[i] = net_likelihood(y, p, k, i, row);
        } else if (solves && allowed(p, row)) {
            ln_l[i] = exact(p, row, y, &solved);
        }
        if (d_full && inside[i]) {
            double *d_row = d_full + i * N_PAR;
            net_gradient(d_row, p, k, i, y, row);
        }
    }
    if (d_full && !status) {
        status = bml_nn_vjp(net, k->work, k->d_input, NULL, k->d_node, k->input, rows);
    }
    for (int i = 0; d_full && i < n; i++) {
        const float *d_input = k->d_input + (size_t)i * n_in;
        double *d_row = d_full + i * N_PAR;
        for (int j = 0; j < SSC_ROW; j++)
            d_row[j] += (double)d_input[j];
    }
    net_must(status, p);
}

/* Rows of a block: few enough that all threads have one, no fewer than pay for the network's weights. */
static int net_block_rows(const problem *p, int n) {
    const int threads = p->threads;
    const int share = (n + threads - 1) / threads;
    if (share < 8) {
        return 8;
    }
    if (share > NET_ROWS) {
        return NET_ROWS;
    }
    return share;
}

/* What the network says of n points, [n][n_out], from the device; yours to free. */
static float *device_nodes(const double *theta, int n, int n_dim, const problem *p) {
    const size_t n_in = bml_nn_n_in(p->net.net);
    const size_t room = (size_t)n + 1;
    const size_t n_out = bml_nn_n_out(p->net.net);
    float *node = malloc(room * n_out * sizeof *node);
    float *input = malloc(room * n_in * sizeof *input);
    double full[N_PAR];
    if (!node || !input) {
        fail("fit_sed: out of memory");
    }
    surrogate_frame f;
    for (int i = 0; i < n; i++) {
        float *own = input + (size_t)i * n_in;
        const double *row = theta + i * n_dim;
        expand(full, p, row);
        net_ask(&f, own, p, full);
    }
    device_predict(node, input, (size_t)n, &p->card_net);
    free(input);
    return node;
}

/* solver_rows with the network; threads over blocks of rows. */
static long net_rows(double *lp, double *dex, const double *theta, int n, int n_dim, problem *p) {
    const int block = net_block_rows(p, n);
    const size_t n_out = bml_nn_n_out(p->net.net);
    float *node = NULL;
    if (device_ready(&p->card)) {
        node = device_nodes(theta, n, n_dim, p);
    }
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(p->threads) if (n > block)
#endif
    for (int from = 0; from < n; from += block) {
        const int left = n - from;
        const int count = left < block ? left : block;
        double *own = dex + from * p->sed.n;
        double full[NET_ROWS * N_PAR];
        double ln_l[NET_ROWS];
        for (int i = 0; i < count; i++) {
            const double *row = theta + (from + i) * n_dim;
            double *all = full + i * N_PAR;
            expand(all, p, row);
        }
        net_desk *k = &p->desk[thread_number()];
        if (node) {
            k->given = node + (size_t)from * n_out;
        }
        if (p->opt->protons) {
            proton_net_block(ln_l, own, full, count, p, k);
        } else {
            net_block(ln_l, NULL, own, full, count, p, k);
        }
        k->given = NULL;
        for (int i = 0; i < count; i++) {
            double *ln_p = &lp[from + i];
            if (*ln_p > -HUGE_VAL) {
                *ln_p += ln_l[i];
            }
        }
    }
    free(node);
    return n;
}

#endif
