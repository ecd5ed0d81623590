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

/* ln likelihoods, and with_prior = 1 ln posteriors, of n points. */
static void evaluate(double *lp, const double *theta, int n, int n_dim, problem *p, int with_prior) {
    for (int from = 0; from < n; from += p->dex_rows) {
        const int count = n - from < p->dex_rows ? n - from : p->dex_rows;
        const double *at = theta + from * n_dim;
        for (int i = 0; i < count; i++)
            lp[from + i] = with_prior ? bml_mcmc_prior_log_density(p->prior, at + i * n_dim) : 0;
        count_calls(p, (by_network(p) ? net_rows : solver_rows)(lp + from, p->dex, at, count, n_dim, p));
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
