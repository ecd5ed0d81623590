/* report.h: the files and the table that fit_sed leaves, and the comparison with another run. Public domain or MIT, see
   LICENSE. */
#ifndef FIT_SED_REPORT_H
#define FIT_SED_REPORT_H
#include "judge.h"

/* ==== tables ====================================================================================================== */

/* A table in --out, with its first line. */
static void begin_table(out_file *o, const problem *p, const char *name, const char *header) {
    char err[ERROR_SIZE];
    if (out_begin(o, p->opt->out, name, err)) {
        fail("%s", err);
    }
    fprintf(o->f, "%s\n", header);
}

static void end_table(out_file *o) {
    char err[ERROR_SIZE];
    if (out_commit(o, err)) {
        fail("%s", err);
    }
}

/* Appends `text` to a list [size], after `between` where there is something. */
static void append(char *list, size_t size, const char *between, const char *text) {
    const size_t used = strlen(list);
    snprintf(list + used, size - used, "%s%s", used ? between : "", text);
}

/* The names of the free parameters, "log_R,log_B". */
static void free_names(char *names, size_t size, const problem *p) {
    names[0] = 0;
    for (int i = 0; i < p->n_free; i++) {
        const struct parameter *row = &parameters[p->free_par[i]];
        append(names, size, ",", row->name);
    }
}

static void posterior_row(FILE *f, const char *name, const char *unit, const bml_mcmc_summary *s) {
    fprintf(f, "%s,%s,", name, unit);
    fprintf(f, "%.6g,%.6g,%.6g,", s->median, s->minus, s->plus);
    fprintf(f, "%.6g,%.6g,", s->mean, s->sd);
    fprintf(f, "%.1f,%.4f,%.2f\n", s->ess, s->rhat, s->tau);
}

static void write_posterior(const problem *p, const bml_mcmc_summary *s, const draws *g) {
    bml_mcmc_summary derived[N_DERIVED];
    const bml_mcmc_chain chain = {g->derived, NULL, (size_t)g->steps, (int)g->walkers, N_DERIVED};
    const int status = bml_mcmc_summarize(derived, chain);
    const int known = !status || status == BML_MCMC_NOT_CONVERGED;
    out_file o;
    begin_table(&o, p, "posterior.csv", "name,unit,median,minus,plus,mean,sd,ess,rhat,tau");
    for (int i = 0; i < p->n_free; i++) {
        const struct parameter *row = &parameters[p->free_par[i]];
        posterior_row(o.f, row->name, row->unit, &s[i]);
    }
    for (int i = 0; i < n_derived(p->opt) && known; i++) {
        derived[i].tau *= (double)g->thin; /* in steps of the sampler, as the others */
        posterior_row(o.f, derived_rows[i].name, derived_rows[i].unit, &derived[i]);
    }
    end_table(&o);
}

static void write_chain(const problem *p, bml_mcmc_chain chain) {
    char err[ERROR_SIZE];
    const long shape[3] = {(long)chain.n_steps, chain.n_walkers, chain.n_dim};
    if (npy_write(p->opt->out, "chain.npy", chain.theta, shape, 3, err)) {
        fail("%s", err);
    }
    if (npy_write(p->opt->out, "log_prob.npy", chain.log_prob, shape, 2, err)) {
        fail("%s", err);
    }
}

/* points.csv: the data as they were fitted, the best model there, and how far it is. */
static void write_points(const problem *p, const best_point *best, const goodness *q) {
    static const char header[] = "nu_Hz,nuFnu_erg_cm2_s,err_lo,err_hi,upper_limit,best_erg_cm2_s,"
                                 "residual_dex,pull,band,instrument";
    out_file o;
    begin_table(&o, p, "points.csv", header);
    for (int i = 0; i < p->sed.n; i++) {
        const bml_ssc_point *d = &p->sed.point[i];
        fprintf(o.f, "%.9g,%.6g,", d->nu, d->nuFnu);
        fprintf(o.f, "%.5g,%.5g,%d,", d->sigma_lo, d->sigma_hi, d->upper_limit);
        fprintf(o.f, "%.6g,%.5g,%.5g,", best->data[i], q->residual[i], q->pull[i]);
        fprintf(o.f, "%s,", band_of(d->nu));
        csv_text(o.f, p->sed.instrument[i]);
        fputc('\n', o.f);
    }
    end_table(&o);
}

static void groups_rows(FILE *f, const char *kind, const group_fit *group, int n) {
    for (int i = 0; i < n; i++) {
        const group_fit *g = &group[i];
        fprintf(f, "%s,", kind);
        csv_text(f, g->name);
        fprintf(f, ",%d,%.6g,%.4g,", g->n, g->chi2, g->p);
        fprintf(f, "%.5g,%.5g\n", g->offset, g->spread);
    }
}

/* groups.csv: chi^2 on the quoted errors by band and instrument. */
static void write_groups(const problem *p, const goodness *q) {
    out_file o;
    begin_table(&o, p, "groups.csv", "kind,name,points,chi2,p,offset_dex,spread_dex");
    groups_rows(o.f, "band", q->band, q->n_bands);
    groups_rows(o.f, "instrument", q->instrument, q->n_instruments);
    end_table(&o);
}

static void print_groups(const char *kind, const group_fit *group, int n) {
    for (int i = 0; i < n; i++) {
        const group_fit *g = &group[i];
        printf("%-10s %-20.20s %4d points, ", kind, g->name, g->n);
        printf("chi^2 %9.1f, offset %+.3f dex, spread %.3f dex\n", g->chi2, g->offset, g->spread);
    }
}

/* ==== pictures ==================================================================================================== */

/* sed.csv and sed.png: bands are quantiles of the drawn spectra at each frequency. */
static int write_sed(const problem *p, const double *nu, const best_point *best, draws *g, const goodness *q,
                     const char *remark) {
    static const double at[4] = {0.25, 0.75, 0.05, 0.95};
    static double band[4][N_NU];
    double table[N_NU * (6 + N_PARTS)];
    const char *names[N_PARTS];
    const double *drawn_part[N_PARTS];
    char header[256] = "nu_Hz,best,synchrotron,compton,lo50,hi50,lo90,hi90";
    int n_parts = 0;
    for (int k = 0; k < N_PARTS; k++) {
        if (!has_part(p->opt, k)) {
            continue;
        }
        names[n_parts] = parts[k].name;
        drawn_part[n_parts] = best->component[k];
        n_parts++;
        if (k > PART_COMPTON) {
            append(header, sizeof header, ",", parts[k].column);
        }
    }
    const int width = 6 + n_parts;
    const sed_picture picture = {.data = &p->sed,
                                 .n_nu = N_NU,
                                 .nu = nu,
                                 .best = best->total,
                                 .lo50 = band[0],
                                 .hi50 = band[1],
                                 .lo90 = band[2],
                                 .hi90 = band[3],
                                 .n_components = n_parts,
                                 .component_name = names,
                                 .component = drawn_part,
                                 .pull = q->pull,
                                 .remark = remark};
    char err[ERROR_SIZE];
    const size_t n = (size_t)g->n;
    for (int k = 0; k < N_NU; k++) {
        double *flux = g->flux + (size_t)k * n;
        double *row = table + k * width;
        row[0] = nu[k];
        row[1] = best->total[k];
        row[2] = drawn_part[0][k];
        row[3] = drawn_part[1][k];
        for (int b = 0; b < 4; b++) {
            band[b][k] = bml_mcmc_quantile(flux, n, at[b]);
            row[4 + b] = band[b][k];
        }
        for (int i = 2; i < n_parts; i++)
            row[6 + i] = drawn_part[i][k];
    }
    if (csv_write(p->opt->out, "sed.csv", header, table, N_NU, width, err)) {
        fail("%s", err);
    }
    const int drawn = sed_picture_write(&picture, p->opt->out, "sed", err);
    if (drawn < 0) {
        fail("%s", err);
    }
    return drawn;
}

/* ---- another run, to lay over this one ---- */

typedef struct other_run {
    double *theta; /* [n][n_free]; NULL where it is another model's */
    long n;
    double log_z; /* NaN where it has none */
    double log_z_error;
    int refused; /* by its own verdict */
} other_run;

/* "key": of DIR/run.json as run_write makes it: the text after the colon, or NULL. */
static const char *run_value(const char *json, const char *key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(json, quoted);
    if (!at) {
        return NULL;
    }
    at += strlen(quoted);
    return at + strspn(at, " ");
}

/* Reads --compare before any work: a fit of the same free parameters, or one with an evidence of the same table. */
static void read_other(other_run *o, const problem *p) {
    const char *dir = p->opt->compare;
    char err[ERROR_SIZE];
    char path[PATH_SIZE + 16];
    char own[1024];
    char wanted[sizeof own + 2]; /* in quotes */
    long shape[4] = {0};
    snprintf(path, sizeof path, "%s/run.json", dir);
    text_file t;
    if (text_open(&t, path, err)) {
        fail("%s", err);
    }
    free_names(own, sizeof own, p);
    snprintf(wanted, sizeof wanted, "\"%s\"", own);
    const char *names = run_value(t.data, "parameters");
    const char *z = run_value(t.data, "ln_z");
    const char *e = run_value(t.data, "ln_z_error");
    const char *table = run_value(t.data, "input");
    const char *status = run_value(t.data, "exit_status");
    const int same = names && !strncmp(names, wanted, strlen(wanted));
    const size_t length = strlen(p->opt->input);
    const int weighs = p->opt->sampler == SAMPLER_NESTED || p->opt->sampler == SAMPLER_IMPORTANCE;
    const int has_evidence = z && e;
    if (!same && (!names || !has_evidence || !weighs)) {
        fail("%s: is no fit of the same free parameters, %s", path, wanted);
    }
    const int same_table = table && !strncmp(table + 1, p->opt->input, length) && table[length + 1] == '"';
    if (!same && !same_table) {
        fail("%s: is no fit of %s", path, p->opt->input);
    }
    o->log_z = has_evidence ? strtod(z, NULL) : (double)NAN;
    o->log_z_error = has_evidence ? strtod(e, NULL) : (double)NAN;
    o->refused = !status || *status != '0';
    text_close(&t);
    if (!same) {
        return;
    }
    int n_dim;
    if (npy_read(&o->theta, shape, &n_dim, dir, "chain.npy", err)) {
        fail("%s", err);
    }
    if (n_dim != 3 || shape[2] != p->n_free) {
        fail("%s/chain.npy: not steps x walkers x %d parameters", dir, p->n_free);
    }
    o->n = shape[0] * shape[1];
}

/* Both runs side by side, differences in units of this run's sd, and the Bayes factor where both have an evidence. */
static void print_other(const problem *p, const posterior *post, const other_run *o) {
    printf("%-14s %9s %9s %8s %12s\n", "parameter", "this", "other", "by [sd]", "sd, other/this");
    for (int k = 0; k < p->n_free; k++) {
        const bml_mcmc_summary *own = &post->summary[k];
        double *v = malloc((size_t)o->n * sizeof *v);
        double mean = 0;
        double square = 0;
        if (!v) {
            fail("fit_sed: out of memory");
        }
        for (long i = 0; i < o->n; i++) {
            v[i] = o->theta[i * p->n_free + k];
            mean += v[i] / (double)o->n;
        }
        for (long i = 0; i < o->n; i++) {
            const double off = v[i] - mean;
            square += off * off / (double)o->n;
        }
        const double median = bml_mcmc_quantile(v, (size_t)o->n, 0.5);
        const double apart = (median - own->median) / own->sd;
        const double wider = sqrt(square) / own->sd;
        printf("%-14s %9.4f %9.4f ", parameters[p->free_par[k]].name, own->median, median);
        printf("%8.3f %12.3f\n", apart, wider);
        free(v);
    }
}

/* What |ln B| is called below these values (Kass & Raftery 1995, JASA 90, 773). */
static const struct evidence_word {
    double below;
    const char *word;
} evidence_words[] = {
    {1, "the data do not choose between the two"},
    {3, "positive"},
    {5, "strong"},
    {HUGE_VAL, "very strong"},
};

/* What the two evidences say; yellow where one of them stands on a run that its own verdict refuses, this one's so far
   among them. */
static void judge_other(verdict *v, const posterior *post, const other_run *o) {
    const double ln_b = post->log_z - o->log_z;
    const double error = hypot(post->log_z_error, o->log_z_error);
    if (!isfinite(ln_b)) {
        return;
    }
    const struct evidence_word *says = evidence_words;
    const double how_far = fabs(ln_b);
    const int undecided = how_far < 2 * error;
    while (!undecided && how_far >= says->below && says->below < HUGE_VAL)
        says++;
    const char *for_whom = ln_b > 0 ? " for this one" : " for the other";
    if (says == evidence_words) {
        for_whom = "";
    }
    const int refused = o->refused || verdict_status(v);
    const int colour = refused ? VERDICT_YELLOW : VERDICT_GREEN;
    const char *but = refused ? "; one of the evidences is of a run that is not to be trusted" : "";
    printf("ln Bayes factor of this run over the other: %.2f +- %.2f\n", ln_b, error);
    verdict_add(v, colour, "ln_bayes", ln_b, "ln Bayes factor over the other run, +- %.2f: %s%s%s.", error, says->word,
                for_whom, but);
}

/* The first `keep` of d columns of theta [n][d]; yours to free. */
static double *first_columns(const double *theta, long n, int d, int keep) {
    double *rows = malloc((size_t)n * (size_t)keep * sizeof *rows);
    if (!rows) {
        fail("fit_sed: out of memory");
    }
    for (long i = 0; i < n; i++)
        memcpy(rows + i * keep, theta + i * d, (size_t)keep * sizeof *rows);
    return rows;
}

/* corner.png; its titles are the numbers of posterior.csv. */
static int write_corner(const problem *p, const posterior *post, const other_run *other) {
    const char *label[N_PAR];
    const char *unit[N_PAR];
    double median[N_PAR];
    double minus[N_PAR];
    double plus[N_PAR];
    const int n_dim = p->n_free < PLOT_DIM_MAX ? p->n_free : PLOT_DIM_MAX; /* the first ones, where they are too many */
    const long n = (long)post->chain.n_steps * post->chain.n_walkers;
    double *sample = first_columns(post->chain.theta, n, p->n_free, n_dim);
    double *second = other->theta ? first_columns(other->theta, other->n, p->n_free, n_dim) : NULL;
    plot_corner corner = {.n_dim = n_dim,
                          .label = label,
                          .unit = unit,
                          .median = median,
                          .minus = minus,
                          .plus = plus,
                          .chain = {.sample = sample, .n = n},
                          .second = {.sample = second, .n = other->n}};
    char err[ERROR_SIZE];
    for (int i = 0; i < p->n_free; i++) {
        label[i] = parameters[p->free_par[i]].label;
        unit[i] = parameters[p->free_par[i]].unit;
        median[i] = post->summary[i].median;
        minus[i] = post->summary[i].minus;
        plus[i] = post->summary[i].plus;
    }
    if (other->theta) {
        corner.chain.name = p->opt->out;
        corner.second.name = p->opt->compare;
    }
    const int drawn = plot_corner_write(&corner, p->opt->out, "corner", err);
    if (drawn < 0) {
        fail("%s", err);
    }
    free(sample);
    free(second);
    return drawn;
}

/* ==== the end ===================================================================================================== */

static void print_sampler(const problem *p, const posterior *post, double seconds) {
    if (post->ensemble) {
        const bml_mcmc_ensemble_info info = bml_mcmc_ensemble_get_info(post->ensemble);
        for (int m = 0; m < info.n_moves; m++) {
            const double proposed = (double)info.moves_proposed[m];
            const double accepted = 100 * (double)info.moves_accepted[m] / proposed;
            if (proposed > 0) {
                printf("%s moves: %.1f %% accepted\n", bml_mcmc_move_name(info.moves[m].kind), accepted);
            }
        }
        printf("%ld steps of %ld walkers after %ld of burn-in; ", post->steps, post->chains, post->burn);
    } else if (post->markov) {
        printf("%ld draws of %ld NUTS chains; ", post->steps, post->chains);
    } else {
        printf("ln Z = %.2f +- %.2f, fluxes in dex; ", post->log_z, post->log_z_error);
    }
    if (p->net.net) {
        printf("%ld network calls, ", p->network_calls);
    }
    printf("%ld solver calls, %ld calls sampling; %.1f s", p->solver_calls, p->sampling_calls, seconds);
    if (p->legs > 1) {
        printf(" in %ld legs", p->legs);
    }
    printf("\neffective samples per 1000 calls of the sampling: %.1f\n",
           1000 * least_ess(post, p) / (double)p->sampling_calls);
}

static void print_table(const problem *p, const posterior *post, const best_point *best) {
    printf("%-15s %-8s %9s %8s %8s %9s %7s %6s %6s\n", "parameter", "unit", "median", "minus", "plus", "best", "ess",
           "rhat", "tau");
    for (int i = 0; i < p->n_free; i++) {
        const struct parameter *row = &parameters[p->free_par[i]];
        const bml_mcmc_summary *s = &post->summary[i];
        printf("%-15s %-8s ", row->name, row->unit);
        printf("%9.4f %8.4f %8.4f ", s->median, s->minus, s->plus);
        printf("%9.4f %7.0f ", best->full[p->free_par[i]], s->ess);
        if (post->markov) {
            printf("%6.3f %6.1f\n", s->rhat, s->tau);
        } else {
            printf("%6s %6s\n", "-", "-");
        }
    }
}

/* A network that was not reweighed: how far it is off. */
static void print_check(const problem *p, posterior *post, const draws *g) {
    const net_verdict v = check_net(p, g);
    const char *name = parameters[p->free_par[v.parameter]].name;
    printf("the solver at %ld of these draws: ln likelihood off by %.3f +- %.3f; ", g->n, v.mean, v.sd);
    printf("weighted by that, %.0f %% of them count, and %s moves by %.2f sd\n", 100 * v.kept, name, v.shift);
    post->net_kept = v.kept;
    post->net_fit = v.kept >= 0.5 && fabs(v.shift) <= 0.2;
}

static void write_run(const problem *p, const option_row *rows, const posterior *post, const best_point *best,
                      const goodness *q, const verdict *v, double seconds) {
    char err[ERROR_SIZE];
    char names[1024];
    free_names(names, sizeof names, p);
    run_entry results[] = {{"parameters", 0, names},
                           {"points", p->sed.n, NULL},
                           {"rows_dropped", p->sed.dropped, NULL},
                           {"steps", (double)post->steps, NULL},
                           {"burn", (double)post->burn, NULL},
                           {"solver_calls", (double)p->solver_calls, NULL},
                           {"network_calls", (double)p->network_calls, NULL},
                           {"sampling_calls", (double)p->sampling_calls, NULL},
                           {"sampling_calls_are", 0, p->net.net ? "network" : "solver"},
                           {"legs", (double)p->legs, NULL},
                           {"least_ess", least_ess(post, p), NULL},
                           {"best_ln_posterior", best->ln_p, NULL},
                           {"converged", post->converged, NULL},
                           {"chi2", q->chi2, NULL},
                           {"chi2_degrees", q->dof, NULL},
                           {"chi2_log10_p", q->log10_p, NULL},
                           {"scatter_dex", q->scatter, NULL},
                           {"median_error_dex", q->median_error, NULL},
                           {"predictive_p", q->predictive, NULL},
                           {"ln_z", post->log_z, NULL},
                           {"ln_z_error", post->log_z_error, NULL},
                           {0}};
    const run_info run = {.program = "fit_sed",
                          .options = rows,
                          .input = p->opt->input,
                          .seed = p->opt->seed,
                          .seconds = seconds,
                          .results = results,
                          .more = verdict_json,
                          .more_of = v};
    if (post->markov) {
        results[19].name = NULL; /* no evidence */
    }
    if (run_write(p->opt->out, &run, err)) {
        fail("%s", err);
    }
}
#endif
