/* report.h: what fit_sed says of a posterior: derived quantities, spectra, tables, pictures, and the comparison
   with another run. Public domain or MIT, see LICENSE. */
#ifndef FIT_SED_REPORT_H
#define FIT_SED_REPORT_H
#include "samplers.h"

/* ==== report ====================================================================================================== */

enum { N_NU = 191, DRAWS_MAX = 3000, STEPS_MIN = 20, N_DERIVED = 9 };

static const struct derived {
    const char *name, *unit;
} derived_rows[N_DERIVED] = {
    {"log_Ue_over_UB", ""},       {"log_L_injected", "erg/s"},    {"log_P_jet", "erg/s"},
    {"log_nu_synchrotron", "Hz"}, {"log_L_synchrotron", "erg/s"}, {"log_nu_compton", "Hz"},
    {"log_L_compton", "erg/s"},   {"log_compton_dominance", ""},  {"log_t_var", "s"}, /* R (1 + z)/(delta c) */
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

/* bml_ssc_sed at growing nu [N_NU]; where the table of the EBL has ended nothing is known, and the flux is 0. */
static int curve(double *flux, const double *nu, const problem *p, const double *full, const bml_ssc_blob *blob,
                 bml_ssc_component component) {
    const bml_ssc_observer o = observer_of(p, full);
    int n = N_NU;
    while (n && o.ebl && log10(nu[n - 1]) > o.ebl->log10_nu[o.ebl->n_nu - 1])
        flux[--n] = 0;
    return bml_ssc_sed(flux, nu, n, blob, &o, component);
}

static double log10_or_floor(double v) {
    return v > 1e-300 ? log10(v) : -300;
}

/* ln likelihood of a solved blob, less the network's. */
static double net_off(const problem *p, const bml_ssc_blob *blob, const double *full, double ln_p,
                      const double *theta) {
    net_desk *k = &p->desk[thread_number()];
    const bml_ssc_observer o = observer_of(p, full);
    double ln_l;
    if (bml_ssc_sed(k->flux, p->nu, p->sed.n, blob, &o, BML_SSC_TOTAL) ||
        bml_ssc_log_likelihood(&ln_l, k->flux, net_points(p, k, full), p->sed.n, full[LN_F]))
        return -HUGE_VAL;
    return ln_l - (ln_p - bml_mcmc_prior_log_density(p->prior, theta));
}

/* One draw: derived quantities, and the spectrum at nu [N_NU]. Returns how far the network was off its ln
   likelihood. */
static double solve_draw(double *derived, double *flux, const double *nu, const problem *p, const double *theta,
                         double ln_p) {
    double full[N_PAR];
    double sed[N_NU];
    bml_ssc_blob *blob = p->blob[thread_number()];
    expand(full, p, theta);
    bml_ssc_observer o = observer_of(p, full);
    int status = solve(blob, p, full);
    bml_ssc_derived q;
    if ((status && status != BML_SSC_NOT_CONVERGED) || bml_ssc_derive(&q, blob, &o) ||
        curve(sed, nu, p, full, blob, BML_SSC_TOTAL)) {
        memset(&q, 0, sizeof q);
        memset(sed, 0, sizeof sed);
    }
    const double values[N_DERIVED] = {log10_or_floor(q.U_e / (q.U_B > 0 ? q.U_B : 1)),
                                      log10_or_floor(q.L_injected),
                                      log10_or_floor(q.P_jet),
                                      log10_or_floor(q.nu_synchrotron),
                                      log10_or_floor(q.L_synchrotron),
                                      log10_or_floor(q.nu_compton),
                                      log10_or_floor(q.L_compton),
                                      log10_or_floor(q.compton_dominance),
                                      full[R] - full[DELTA] + log10((1 + p->opt->redshift) / 2.99792458e10)};
    memcpy(derived, values, sizeof values);
    memcpy(flux, sed, sizeof sed);
    return by_network(p) ? net_off(p, blob, full, ln_p, theta) : 0;
}

static void draw(draws *g, const double *nu, const problem *p, bml_mcmc_chain chain) {
    long W = chain.n_walkers;
    g->walkers = W;
    g->thin = (long)chain.n_steps * W / DRAWS_MAX + 1;
    if ((long)chain.n_steps / g->thin < STEPS_MIN)
        g->thin = (long)chain.n_steps > STEPS_MIN ? (long)chain.n_steps / STEPS_MIN : 1;
    g->steps = (long)chain.n_steps / g->thin;
    long n = g->steps * W;
    g->derived = malloc((size_t)n * N_DERIVED * sizeof(double));
    g->flux = malloc((size_t)n * N_NU * sizeof(double));
    g->off = malloc((size_t)n * sizeof(double));
    double *sed = malloc((size_t)n * N_NU * sizeof(double));
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
        for (int k = 0; k < N_NU; k++)
            g->flux[k * n + i] = sed[i * N_NU + k];
    free(sed);
}

/* What the solver says of a network's posterior: the drawn points weighted by the ratio of the two likelihoods. */
typedef struct net_verdict {
    double mean, sd; /* of ln likelihood, solver less network */
    double kept;     /* effective share of the draws after weighting */
    double shift;    /* largest shift of a parameter's mean by the weights, in sd */
    int parameter;   /* of which */
} net_verdict;

static net_verdict check_net(const problem *p, const draws *g, bml_mcmc_chain chain) {
    const long W = g->walkers;
    const long n = g->steps * W;
    net_verdict v = {0};
    double top = -HUGE_VAL;
    double sum = 0;
    double squares = 0;
    for (long i = 0; i < n; i++) {
        top = fmax(top, g->off[i]);
        v.mean += g->off[i] / (double)n;
    }
    for (long i = 0; i < n; i++) {
        const double w = exp(g->off[i] - top);
        v.sd += (g->off[i] - v.mean) * (g->off[i] - v.mean) / (double)n;
        sum += w;
        squares += w * w;
    }
    v.sd = sqrt(v.sd);
    v.kept = sum * sum / squares / (double)n;
    for (int k = 0; k < p->n_free; k++) {
        double plain = 0;
        double square = 0;
        double weighted = 0;
        for (long i = 0; i < n; i++) {
            const double x = chain.theta[(((i / W + 1) * g->thin - 1) * W + i % W) * p->n_free + k];
            plain += x / (double)n;
            square += x * x / (double)n;
            weighted += x * exp(g->off[i] - top) / sum;
        }
        const double shift = (weighted - plain) / sqrt(square - plain * plain);
        if (fabs(shift) > fabs(v.shift)) {
            v.shift = shift;
            v.parameter = k;
        }
    }
    return v;
}

/* The point of highest posterior density in the chain, its spectrum and components. */
static void find_best(best_point *best, const double *nu, const problem *p, bml_mcmc_chain chain) {
    size_t at = 0;
    size_t n = chain.n_steps * (size_t)chain.n_walkers;
    for (size_t i = 1; i < n; i++)
        if (chain.log_prob[i] > chain.log_prob[at]) at = i;
    best->ln_p = chain.log_prob[at];
    expand(best->full, p, chain.theta + at * (size_t)p->n_free);
    solve(p->blob[0], p, best->full);
    curve(best->total, nu, p, best->full, p->blob[0], BML_SSC_TOTAL);
    curve(best->component[0], nu, p, best->full, p->blob[0], BML_SSC_SYNCHROTRON);
    curve(best->component[1], nu, p, best->full, p->blob[0], BML_SSC_COMPTON);
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
    static double band[4][N_NU];
    static double table[N_NU][8];
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
    for (int k = 0; k < N_NU; k++) {
        for (int b = 0; b < 4; b++)
            band[b][k] = bml_mcmc_quantile(g->flux + (size_t)k * n, n, at[b]);
        const double row[8] = {nu[k],      best->total[k], parts[0][k], parts[1][k],
                               band[0][k], band[1][k],     band[2][k],  band[3][k]};
        memcpy(table[k], row, sizeof row);
    }
    if (csv_write(p->opt->out, "sed.csv", "nu_Hz,best,synchrotron,compton,lo50,hi50,lo90,hi90", table[0], N_NU, 8, err))
        fail("%s", err);
    int drawn = sed_picture_write(&picture, p->opt->out, "sed", err);
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
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(json, quoted);
    return at ? at + strlen(quoted) + strspn(at + strlen(quoted), " ") : NULL;
}

/* Reads --compare before any work: it must be a fit of the same free parameters. */
static void read_other(other_run *o, const problem *p) {
    const char *dir = p->opt->compare;
    char err[ERROR_SIZE];
    char path[PATH_SIZE + 16];
    char wanted[256] = "\"";
    long shape[4] = {0};
    snprintf(path, sizeof path, "%s/run.json", dir);
    text_file t;
    if (text_open(&t, path, err)) fail("%s", err);
    for (int i = 0; i < p->n_free; i++)
        snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), "%s%s", parameters[p->free_par[i]].name,
                 i + 1 < p->n_free ? "," : "\"");
    const char *names = run_value(t.data, "parameters");
    const char *z = run_value(t.data, "ln_z");
    const char *e = run_value(t.data, "ln_z_error");
    if (!names || strncmp(names, wanted, strlen(wanted)))
        fail("%s: is no fit of the same free parameters, %s", path, wanted);
    o->log_z = z && e ? strtod(z, NULL) : (double)NAN;
    o->log_z_error = z && e ? strtod(e, NULL) : (double)NAN;
    text_close(&t);
    int n_dim;
    if (npy_read(&o->theta, shape, &n_dim, dir, "chain.npy", err)) fail("%s", err);
    if (n_dim != 3 || shape[2] != p->n_free) fail("%s/chain.npy: not steps x walkers x %d parameters", dir, p->n_free);
    o->n = shape[0] * shape[1];
}

/* Both runs side by side, differences in units of this run's sd, and the Bayes factor where both have an evidence. */
static void print_other(const problem *p, const posterior *post, const other_run *o) {
    printf("%-14s %9s %9s %8s %12s\n", "parameter", "this", "other", "by [sd]", "sd, other/this");
    for (int k = 0; k < p->n_free; k++) {
        double *v = malloc((size_t)o->n * sizeof *v);
        double mean = 0;
        double square = 0;
        if (!v) fail("fit_sed: out of memory");
        for (long i = 0; i < o->n; i++) {
            v[i] = o->theta[i * p->n_free + k];
            mean += v[i] / (double)o->n;
        }
        for (long i = 0; i < o->n; i++)
            square += (v[i] - mean) * (v[i] - mean) / (double)o->n;
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
    const char *label[N_PAR];
    const char *unit[N_PAR];
    plot_corner corner = {.n_dim = p->n_free,
                          .label = label,
                          .unit = unit,
                          .chain = {.sample = chain.theta, .n = (long)chain.n_steps * chain.n_walkers},
                          .second = {.sample = other->theta, .n = other->n}};
    char err[ERROR_SIZE];
    for (int i = 0; i < p->n_free; i++) {
        label[i] = parameters[p->free_par[i]].label;
        unit[i] = parameters[p->free_par[i]].unit;
    }
    if (other->theta) {
        corner.chain.name = p->opt->out;
        corner.second.name = p->opt->compare;
    }
    int drawn = plot_corner_write(&corner, p->opt->out, "corner", err);
    if (drawn < 0) fail("%s", err);
    return drawn;
}

static double least_ess(const posterior *post, const problem *p) {
    double least = HUGE_VAL;
    for (int i = 0; i < p->n_free; i++)
        least = fmin(least, post->summary[i].ess);
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
        if (post->markov)
            printf("%6.3f %6.1f\n", s->rhat, s->tau);
        else
            printf("%6s %6s\n", "-", "-");
    }
    if (post->ensemble) {
        bml_mcmc_ensemble_info info = bml_mcmc_ensemble_get_info(post->ensemble);
        for (int m = 0; m < info.n_moves; m++)
            if (info.moves_proposed[m])
                printf("%s moves: %.1f %% accepted\n", bml_mcmc_move_name(info.moves[m].kind),
                       100 * (double)info.moves_accepted[m] / (double)info.moves_proposed[m]);
        printf("%ld steps of %d walkers; ", (long)post->chain.n_steps, info.n_walkers);
    } else if (post->markov)
        printf("%ld draws of %d NUTS chains; ", (long)post->chain.n_steps, post->chain.n_walkers);
    else
        printf("ln Z = %.2f +- %.2f, fluxes in dex; ", post->log_z, post->log_z_error);
    printf("%ld %s calls, %ld of them sampling; %.1f s\n", p->calls, p->net.net ? "network" : "solver", post->calls,
           seconds);
    printf("effective samples per 1000 calls of the sampling: %.1f\n", 1000 * least_ess(post, p) / (double)post->calls);
}

static void print_check(const problem *p, const draws *g, bml_mcmc_chain chain) {
    const net_verdict v = check_net(p, g, chain);
    printf("the solver at %ld of these draws: ln likelihood off by %.3f +- %.3f; weighted by that, %.0f %% of them "
           "count, and "
           "%s moves by %.2f sd\n",
           g->steps * g->walkers, v.mean, v.sd, 100 * v.kept, parameters[p->free_par[v.parameter]].name, v.shift);
    if (v.kept < 0.5 || fabs(v.shift) > 0.2)
        printf("the network is NOT good enough here: take the solver (no --model), or train it longer\n");
}

static void write_run(const problem *p, const option_row *rows, const char *input, const posterior *post,
                      const best_point *best, double seconds) {
    char err[ERROR_SIZE];
    char names[256] = "";
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
#endif
