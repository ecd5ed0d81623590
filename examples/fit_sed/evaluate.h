/* evaluate.h: ln likelihoods and ln posteriors of many points at once, by the solver or by the network. Public domain
   or MIT, see LICENSE. */
#ifndef FIT_SED_EVALUATE_H
#define FIT_SED_EVALUATE_H
#include "network.h"

/* 1: posteriors are the network's, not the solver's. */
static int by_network(const problem *p) {
    return p->net.net && !p->solver_judges;
}

static void count_calls(problem *p, long n) {
    *(by_network(p) ? &p->network_calls : &p->solver_calls) += n;
    if (p->sampling) p->sampling_calls += n;
}

/* The rows of a point that ranks share: by the network?, ln prior, theta; back come ln p, solver calls, dex. */
enum { TO_RANK = 2, FROM_RANK = 2 };

/* What a rank does for another, for n <= farm.block points. */
static void rows_for_others(double *out, const double *in, int n, void *user) {
    problem *p = user;
    double lp[NET_ROWS];
    double theta[NET_ROWS * N_PAR] = {0};
    const int by_net = in[0] > 0;
    const int wide = TO_RANK + p->n_free;
    for (int i = 0; i < n; i++) {
        lp[i] = in[i * wide + 1];
        memcpy(theta + i * p->n_free, in + i * wide + TO_RANK, (size_t)p->n_free * sizeof *theta);
    }
    const long calls = (by_net ? net_rows : solver_rows)(lp, p->dex, theta, n, p->n_free, p);
    for (int i = 0; i < n; i++, out += FROM_RANK + p->sed.n) {
        out[0] = lp[i];
        out[1] = i ? 0 : (double)calls;
        memcpy(out + FROM_RANK, p->dex + i * p->sed.n, (size_t)p->sed.n * sizeof *out);
    }
}

static void shared_open(problem *p) {
    const int block = p->net.net ? NET_ROWS : 1;
    p->others = (farm){.n_in = TO_RANK + p->n_free,
                       .n_out = FROM_RANK + p->sed.n,
                       .block = block,
                       .work = rows_for_others,
                       .user = p,
                       .stop = stop_asked};
}

/* solver_rows and net_rows by all ranks. */
static long shared_rows(double *lp, double *dex, const double *theta, int n, int n_dim, problem *p) {
    const int wide_in = p->others.n_in;
    const int wide_out = p->others.n_out;
    double *in = malloc(((size_t)n + 1) * (size_t)wide_in * sizeof *in);
    double *out = malloc(((size_t)n + 1) * (size_t)wide_out * sizeof *out);
    if (!in || !out) fail("fit_sed: out of memory");
    for (int i = 0; i < n; i++) {
        double *row = in + (size_t)i * (size_t)wide_in;
        row[0] = by_network(p);
        row[1] = lp[i];
        memcpy(row + TO_RANK, theta + i * n_dim, (size_t)n_dim * sizeof *row);
    }
    const int status = farm_map(out, in, n, &p->others);
    if (status == FARM_STOPPED)
        fail("fit_sed: stopped; the same command with --resume goes on from the last state in %s, if there is one",
             p->opt->out);
    if (status) fail("fit_sed: %s", farm_strerror(status));
    long calls = 0;
    for (int i = 0; i < n; i++) {
        const double *row = out + (size_t)i * (size_t)wide_out;
        lp[i] = row[0];
        calls += (long)row[1];
        memcpy(dex + i * p->sed.n, row + FROM_RANK, (size_t)p->sed.n * sizeof *dex);
    }
    free(in);
    free(out);
    return calls;
}

static long rows(double *lp, double *dex, const double *theta, int n, int n_dim, problem *p) {
    if (farm_ranks() > 1) return shared_rows(lp, dex, theta, n, n_dim, p);
    return (by_network(p) ? net_rows : solver_rows)(lp, dex, theta, n, n_dim, p);
}

/* ln likelihoods, and with_prior = 1 ln posteriors, of n points. */
static void evaluate(double *lp, const double *theta, int n, int n_dim, problem *p, int with_prior) {
    for (int from = 0; from < n; from += p->dex_rows) {
        const int count = n - from < p->dex_rows ? n - from : p->dex_rows;
        const double *at = theta + from * n_dim;
        for (int i = 0; i < count; i++)
            lp[from + i] = with_prior ? bml_mcmc_prior_log_density(p->prior, at + i * n_dim) : 0;
        count_calls(p, rows(lp + from, p->dex, at, count, n_dim, p));
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

#endif
