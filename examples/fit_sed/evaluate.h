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
    if (by_network(p))
        p->network_calls += n;
    else
        p->solver_calls += n;
    if (p->sampling) p->sampling_calls += n;
}

/* Fills lp [n] and dex [n][sed.n] of theta [n][n_dim]; returns how many calls that took. */
typedef long (*row_solver)(double *lp, double *dex, const double *theta, int n, int n_dim, problem *p);

static row_solver solver_of(int by_net) {
    return by_net ? net_rows : solver_rows;
}

/* The rows of a point that ranks share. */
enum { TO_RANK = 2 };   /* before theta: by the network?, ln prior */
enum { FROM_RANK = 2 }; /* before dex: ln p, solver calls */

/* What a rank does for another, for n <= farm.block points. */
static void rows_for_others(double *out, const double *in, int n, void *user) {
    problem *p = user;
    double lp[NET_ROWS];
    double theta[NET_ROWS * N_PAR] = {0};
    const row_solver solver = solver_of(in[0] > 0);
    const double *dex = p->dex;
    const int n_dim = p->n_free;
    const int n_dex = p->sed.n;
    for (int i = 0; i < n; i++) {
        lp[i] = in[1];
        copy_doubles(theta + i * n_dim, in + TO_RANK, n_dim);
        in += TO_RANK + n_dim;
    }
    const long calls = solver(lp, p->dex, theta, n, n_dim, p);
    double *row = out;
    for (int i = 0; i < n; i++) {
        row[0] = lp[i];
        row[1] = 0;
        copy_doubles(row + FROM_RANK, dex, n_dex);
        row += FROM_RANK + n_dex;
        dex += n_dex;
    }
    out[1] = (double)calls; /* of all of them */
}

static void shared_open(problem *p) {
    farm *others = &p->others;
    memset(others, 0, sizeof *others);
    others->n_in = TO_RANK + p->n_free;
    others->n_out = FROM_RANK + p->sed.n;
    others->block = p->net.net ? NET_ROWS : 1;
    others->work = rows_for_others;
    others->user = p;
    others->stop = stop_asked;
}

/* in [n][others.n_in] out [n][others.n_out] through all ranks. */
static void through_ranks(double *out, const double *in, int n, problem *p) {
    const int status = farm_map(out, in, n, &p->others);
    if (status == FARM_STOPPED)
        fail("fit_sed: stopped; the same command with --resume goes on from the last state in %s, if there is one",
             p->opt->out);
    if (status) fail("fit_sed: %s", farm_strerror(status));
}

/* solver_rows and net_rows by all ranks. */
static long shared_rows(double *lp, double *dex, const double *theta, int n, int n_dim, problem *p) {
    const int n_dex = p->sed.n;
    double *in = room(n, p->others.n_in);
    double *out = room(n, p->others.n_out);
    double *asked = in;
    for (int i = 0; i < n; i++) {
        asked[0] = by_network(p);
        asked[1] = lp[i];
        copy_doubles(asked + TO_RANK, theta + i * n_dim, n_dim);
        asked += p->others.n_in;
    }
    through_ranks(out, in, n, p);
    const double *answer = out;
    long calls = 0;
    for (int i = 0; i < n; i++) {
        lp[i] = answer[0];
        calls += (long)answer[1];
        copy_doubles(dex + i * n_dex, answer + FROM_RANK, n_dex);
        answer += p->others.n_out;
    }
    free(in);
    free(out);
    return calls;
}

static long rows(double *lp, double *dex, const double *theta, int n, int n_dim, problem *p) {
    if (farm_ranks() > 1) return shared_rows(lp, dex, theta, n, n_dim, p);
    const row_solver solver = solver_of(by_network(p));
    return solver(lp, dex, theta, n, n_dim, p);
}

/* Keeps what was answered at n points, but where the probability is zero. */
static void remember_rows(problem *p, const double *theta, const double *lp, int n, int n_dim) {
    const double *dex = p->dex;
    for (int i = 0; i < n; i++) {
        const int possible = lp[i] > -HUGE_VAL;
        if (possible) remember(p, theta, dex, lp[i]);
        theta += n_dim;
        dex += p->sed.n;
    }
}

/* ln likelihoods, and with_prior = 1 ln posteriors, of n points. */
static void evaluate(double *lp, const double *theta, int n, int n_dim, problem *p, int with_prior) {
    while (n > 0) {
        const int count = n < p->dex_rows ? n : p->dex_rows;
        for (int i = 0; i < count; i++) {
            const double *point = theta + i * n_dim;
            lp[i] = with_prior ? bml_mcmc_prior_log_density(p->prior, point) : 0;
        }
        const long calls = rows(lp, p->dex, theta, count, n_dim, p);
        count_calls(p, calls);
        if (p->remember) remember_rows(p, theta, lp, count, n_dim);
        lp += count;
        theta += count * n_dim;
        n -= count;
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
