/* calibrate.h: is the posterior honest for data like these? Public domain or MIT, see LICENSE. */
#ifndef FIT_SED_CALIBRATE_H
#define FIT_SED_CALIBRATE_H
#include "samplers.h"

/* Sources drawn from the prior, solved exactly, with noise of the table's own errors at its frequencies, are fitted one
   by one as the table itself would be; the ranks of the truths in their posteriors must be uniform (Talts et al. 2018,
   arXiv:1804.06788). */

enum { RANK_DRAWS = 49 };
enum { RANK_BINS = 10 };

/* A truth from the prior that reaches every point of the table, and the table as it would be seen; theta [n_free]
   out. */
static void simulate(double *theta, problem *p, bml_mcmc_rng *rng) {
    double cube[N_PAR];
    double full[N_PAR];
    double *flux = p->dex;
    for (long tries = 0;; tries++) {
        int reached = 0;
        if (tries == 100000) {
            fail("fit_sed: --calibrate: no source of the prior reaches all points of the table");
        }
        for (int k = 0; k < p->n_free; k++)
            cube[k] = bml_mcmc_rng_uniform(rng);
        if (bml_mcmc_prior_transform(p->prior, theta, cube)) {
            fail("fit_sed: the prior leaves no room");
        }
        expand(full, p, theta);
        if (!allowed(p, full) || solve(p->blob[0], p, full)) {
            continue;
        }
        if (seen(flux, p->nu, p->sed.n, p, full, p->blob[0], BML_SSC_TOTAL)) {
            continue;
        }
        for (int i = 0; i < p->sed.n; i++)
            reached += flux[i] > 0;
        if (reached == p->sed.n) {
            break;
        }
    }
    for (int i = 0; i < p->sed.n; i++) {
        bml_ssc_point *d = &p->sed.point[i];
        const double ln_f = full[LN_F + p->group[i]];
        const double sigma = hypot(d->sigma_hi, exp(ln_f));
        const double off = sigma * bml_mcmc_rng_normal(rng);
        p->log_data[i] = log10(flux[i]) + off;
        d->nuFnu = pow(10, p->log_data[i]);
    }
}

/* ranks.csv: a row for each source, a column for each parameter, 0 ... RANK_DRAWS. */
static void write_ranks(const problem *p, const int *ranks, long n, long room) {
    char err[ERROR_SIZE];
    out_file o;
    if (out_begin(&o, p->opt->out, "ranks.csv", err)) {
        fail("%s", err);
    }
    for (int k = 0; k < p->n_free; k++)
        fprintf(o.f, "%s%c", parameters[p->free_par[k]].name, k + 1 < p->n_free ? ',' : '\n');
    for (long i = 0; i < n; i++)
        for (int k = 0; k < p->n_free; k++)
            fprintf(o.f, "%d%c", ranks[k * room + i], k + 1 < p->n_free ? ',' : '\n');
    if (out_commit(&o, err)) {
        fail("%s", err);
    }
}

static void print_calibration(const problem *p, const int *ranks, long n, long room, long converged) {
    printf("%-14s %9s %16s %16s\n", "parameter", "p(ranks)", "68 % hold", "90 % hold");
    for (int k = 0; k < p->n_free; k++) {
        double hold[2] = {0};
        double sd[2] = {0};
        const int *r = ranks + k * room;
        bml_mcmc_coverage(&hold[0], &sd[0], r, (int)n, RANK_DRAWS, 0.68);
        bml_mcmc_coverage(&hold[1], &sd[1], r, (int)n, RANK_DRAWS, 0.90);
        const char *name = parameters[p->free_par[k]].name;
        const double flat = bml_mcmc_sbc_p_value(r, (int)n, RANK_DRAWS, RANK_BINS);
        printf("%-14s %9.4f ", name, flat);
        printf("%8.3f +- %.3f %8.3f +- %.3f\n", hold[0], sd[0], hold[1], sd[1]);
    }
    printf("%ld sources, %ld of them converged (the others are counted all the same)\n", n, converged);
}

/* As if nothing had been learned. */
static void forget(problem *p) {
    p->learned.n = 0;
    p->learned.best = -HUGE_VAL;
    p->archive_n = 0;
    p->solver_judges = 0;
    response_free(&p->response);
}

static int calibrate(problem *p) {
    const options *given = p->opt;
    const long n = given->calibrate;
    options opt = *given;
    int *ranks = calloc((size_t)n * (size_t)p->n_free, sizeof *ranks);
    int one[N_PAR];
    long converged = 0;
    long done = 0;
    if (!ranks) {
        fail("fit_sed: out of memory");
    }
    for (int i = 0; i < p->sed.n; i++) {
        const bml_ssc_point *d = &p->sed.point[i];
        const double unequal = fabs(d->sigma_lo - d->sigma_hi);
        if (d->upper_limit || unequal > 1e-12) {
            fail("fit_sed: --calibrate: point %d is a limit or has unequal errors: such noise cannot be drawn", i + 1);
        }
    }
    opt.quiet = 1;
    progress_bar bar;
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
        forget(p);
        sample_posterior(&post, p);
        if (!bml_mcmc_sbc_ranks(one, post.chain, truth, RANK_DRAWS)) {
            for (int k = 0; k < p->n_free; k++)
                ranks[k * n + done] = one[k];
            done++;
            converged += post.converged;
            write_ranks(p, ranks, done, n); /* after every source: an interrupted study is not lost */
        }
        posterior_free(&post);
        progress_at(&bar, (double)(i + 1), NULL);
    }
    progress_end(&bar);
    p->opt = given;
    print_calibration(p, ranks, done, n, converged);
    free(ranks);
    return 0;
}

#endif
