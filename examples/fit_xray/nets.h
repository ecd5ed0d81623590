/* nets.h: what fit_xray does with a trained network: the commands infer (one spectrum), judge (many simulated
   ones) and compare (one, beside nested and ensemble sampling).
   Public domain or MIT, see LICENSE. */
#ifndef FIT_XRAY_NETS_H
#define FIT_XRAY_NETS_H
#include "samplers.h"
#include "xray_judge.h"

/* ==== infer ======================================================================================================= */

/* The network, and the model, prior and bins that it was made for. */
static void load_net(session *s, xray_binning *binning) {
    char err[ERROR_SIZE];
    static char fixed[4096]; /* the options point into it */
    if (!s->opt->net) {
        fail("fit_xray %s: --net FILE is needed", s->command);
    }
    if (s->opt->prior || s->opt->model) {
        fail("fit_xray %s: model and prior are those of the network", s->command);
    }
    if (xray_net_read(&s->net, s->opt->net, err)) {
        fail("%s", err);
    }
    s->opt->model = s->net.model;
    s->opt->statistic = s->net.statistic;
    if (s->net.abundance < 0 && !s->opt->absorption) {
        fail("fit_xray %s: %.200s was trained with an --absorption table: give it", s->command, s->opt->net);
    }
    if (s->net.abundance >= 0) {
        s->opt->abundance = s->net.abundance;
        s->opt->absorption = NULL;
    }
    snprintf(fixed, sizeof fixed, "%s", s->net.fixed);
    s->opt->fix.n = 0;
    char *next;
    for (char *line = fixed; *line; line = next) {
        next = line + strcspn(line, "\n");
        if (*next) {
            *next++ = 0;
        }
        if (s->opt->fix.n < 64) {
            s->opt->fix.item[s->opt->fix.n++] = line;
        }
    }
    memset(binning, 0, sizeof *binning);
    binning->how = XRAY_GROUP_GIVEN;
    binning->given = s->net.bin;
    binning->n_given = s->net.n_channel;
}

static void check_net(const session *s) {
    const xray_data *data = &s->data[0];
    const xray_net *net = &s->net;
    const char *file = s->opt->net;
    if (data->n != net->n_bin) {
        fail("%.200s: %d bins, but %.200s was trained for %d", s->input, data->n, file, net->n_bin);
    }
    double ratio = data->exposure / net->exposure;
    if (!(fabs(ratio - 1) <= 0.01)) {
        fail("%.200s: %g s, but %.200s was trained for %g s", s->input, data->exposure, file, net->exposure);
    }
    if (s->fitter[0]->n_free != net->d) {
        fail("%.300s: its prior and its outputs do not agree", file);
    }
}

/* The network's draws raw[n][d], and resampled[n][d] (NULL: not wanted), both theta. Prints how it went. */
static void net_posterior(session *s, double *raw, double *resampled, long n, xray_resampled *r) {
    char err[ERROR_SIZE];
    int d = s->net.d;
    double *z = xray_alloc((size_t)n, (size_t)d * sizeof *z);
    double t0 = seconds_now();
    xray_posterior posterior = {s->prior, s->fitter, s->threads};
    uint64_t seed = s->opt->seed;
    xray_resampling how = {0};
    how.most = (int)s->opt->evaluations;
    how.target = xray_posterior_target;
    how.user = &posterior;
    how.seed = seed;
    bml_nn_work *work = NULL;
    xray_best best[XRAY_FITS];
    char why[BML_NN_MESSAGE] = "out of memory";
    if (!z || bml_nn_work_create(&work, s->net.nn, 1, 1, why)) {
        fail("fit_xray: %s", why);
    }
    xray_mixture m;
    const double *counts = s->data[0].counts;
    if (xray_net_draw(z, &m, &s->net, work, counts, (int)n, seed, err)) {
        fail("%s", err);
    }
    xray_theta_from_z(raw, s->prior, z, n, d);
    double t1 = seconds_now();
    printf("network: %ld draws in %.1f ms\n", n, 1e3 * (t1 - t0));
    if (resampled) {
        xray_proposal near;
        xray_net_fits(best, &near, s->fitter[0], s->prior, z, (int)n, 200);
        if (xray_resample(r, &m, &near, &how, err)) {
            fail("%s", err);
        }
        xray_resampled_draw(z, r, (int)n, seed);
        xray_theta_from_z(resampled, s->prior, z, n, d);
        printf("resampling: %.2f s, %d likelihoods, ", seconds_now() - t1, r->n);
        printf("%.0f effective samples, ln Z %.2f +- %.2f\n", r->ess, r->log_z, r->log_z_error);
        printf("of the network's own draws %.2g %% are effective%s\n", 100 * r->ess_net,
               r->ess_net < 0.01 ? ": do not use them without resampling" : "");
    }
    bml_nn_work_free(work);
    free(z);
}

/* The draw with the best statistic among theta[n][d]. */
static double best_of(session *s, double *best, const double *theta, long n) {
    int d = s->fitter[0]->n_free;
    double least = (double)INFINITY;
    for (long i = 0; i < n; i++) {
        double v = xray_evaluate(s->fitter[0], theta + i * d);
        if (i == 0 || v < least) {
            least = v;
            memcpy(best, theta + i * d, (size_t)d * sizeof *best);
        }
    }
    return least;
}

/* The medians of theta[n][d] and the statistic there. */
static double at_median(session *s, double *median, const double *theta, long n) {
    int d = s->fitter[0]->n_free;
    double *column = xray_alloc((size_t)n, sizeof *column);
    if (!column) {
        fail("fit_xray: out of memory");
    }
    for (int k = 0; k < d; k++) {
        for (long i = 0; i < n; i++)
            column[i] = theta[i * d + k];
        median[k] = bml_mcmc_quantile(column, (size_t)n, 0.5);
    }
    free(column);
    return xray_evaluate(s->fitter[0], median);
}

/* How much of the network's answer is left when the likelihood has been asked. */
static void verdict_network(verdict *v, const session *s, const xray_resampled *r) {
    if (!s->opt->resample) {
        verdict_add(v, VERDICT_YELLOW, "resampled", 0,
                    "The network's draws are not checked by the likelihood (--no-resample): see fit_xray judge.");
        return;
    }
    verdict_add(v, verdict_colour(-r->ess, -400, -100), "effective_samples", r->ess,
                "%.0f effective samples after resampling%s.", r->ess,
                r->ess < 400 ? ": check with fit_xray nested" : "");
    verdict_add(v, r->ess_net < 0.01 ? VERDICT_YELLOW : VERDICT_GREEN, "network_share", r->ess_net,
                "Of the network's own draws %.2g %% are effective%s.", 100 * r->ess_net,
                r->ess_net < 0.01 ? ": do not use network.npy" : "");
}

static int command_infer(session *s) {
    long n = s->opt->draws;
    long shape[2] = {n, s->net.d};
    double *raw = xray_alloc((size_t)n, 2 * (size_t)s->net.d * sizeof *raw);
    double best[XRAY_MAX_FREE];
    double median[XRAY_MAX_FREE];
    double *resampled = raw ? raw + n * s->net.d : NULL;
    xray_resampled r = {.n = 0};
    char err[ERROR_SIZE];
    if (!raw) {
        fail("fit_xray: out of memory");
    }
    net_posterior(s, raw, s->opt->resample ? resampled : NULL, n, &r);
    double least = best_of(s, best, s->opt->resample ? resampled : raw, n < 1000 ? n : 1000);
    write_posterior(s, s->opt->resample ? resampled : raw, n, best);
    if (s->opt->resample && npy_write(s->opt->out, "network.npy", raw, shape, 2, err)) {
        fail("%s", err);
    }
    printf("statistic in %d bins: %.2f at the network's medians, %.2f at the best draw\n", s->fitter[0]->n_bin,
           at_median(s, median, raw, n), least);
    verdict v = {0};
    xray_best fit;
    verdict_network(&v, s, &r);
    at_point(&fit, s, best);
    verdict_posterior(&v, s, &fit, s->opt->resample ? resampled : raw, n);
    run_entry results[] = {{"effective_samples", r.ess, NULL},
                           {"effective_share_of_network", r.ess_net, NULL},
                           {"log_z", r.log_z, NULL},
                           {"best_statistic", least, NULL},
                           {NULL, 0, NULL}};
    xray_resampled_free(&r);
    free(raw);
    return finish(s, &v, results);
}

/* ==== judge ======================================================================================================= */

/* R^2 or its error as text, which one spectrum, or a constant truth, does not have. */
static const char *r2_text(char text[32], double r2) {
    snprintf(text, 32, "%.4f", r2);
    return isfinite(r2) ? text : "-";
}

/* Coverage, R^2 and ranks of n verdicts, a line each parameter. */
static void judge_table(const session *s, const xray_verdict *v, int n, int which) {
    int *rank = xray_alloc((size_t)n, sizeof *rank);
    int d = s->net.d;
    xray_score mean = {.r2 = 0};
    if (!rank) {
        fail("fit_xray: out of memory");
    }
    printf("%s: share of truths in the central interval; R^2 of the means, with its error; R^2 that the widths "
           "promise; p-value of uniform ranks\n"
           "%-22s %7s %7s %7s %7s %9s %7s %9s %9s\n",
           which ? "resampled" : "network", "parameter", "50 %", "68 %", "90 %", "95 %", "R^2", "+-", "by width",
           "rank p");
    xray_score one;
    for (int k = 0; k <= d; k++) {
        if (k < d) {
            xray_judge_score(&one, v, rank, n, which, k);
        } else {
            one = mean;
        }
        printf("%-22s", k < d ? parameter_name(s, k) : "mean");
        for (int l = 0; l < 4; l++) {
            mean.coverage[l] += one.coverage[l] / d;
            printf(" %7.3f", one.coverage[l]);
        }
        mean.r2 += one.r2 / d;
        mean.promised += one.promised / d;
        int to = k < d ? k + 1 : d;
        double error = xray_judge_r2_error(v, n, which, k % d, to);
        char r2[32];
        char spread[32];
        char promised[32];
        printf(" %9s %7s", r2_text(r2, one.r2), r2_text(spread, error));
        printf(" %9s", r2_text(promised, one.promised));
        if (k < d) {
            printf(" %9.2g\n", one.rank_p);
        } else {
            printf("   (one parameter's binomial sd at 68 %%: %.3f)\n", sqrt(0.68 * 0.32 / n));
        }
    }
    free(rank);
}

/* How the spectra of a set are judged, without resampling. */
static xray_judging judging_of(const session *s, const xray_set *set) {
    xray_judging g = {0};
    g.net = &s->net;
    g.problem = &s->problem;
    g.prior = s->prior;
    g.set = set;
    g.noisy = s->opt->train_on != NULL;
    g.seed = s->opt->seed;
    return g;
}

/* Of the first n spectra of the set, the posterior by nested sampling, which needs no network, as a check of the means
   by resampling: how far apart the two are, in posterior standard deviations, and R^2 of both on the same spectra. */
static void judge_nested(session *s, const xray_set *set, const xray_verdict *v, int n) {
    enum { DRAWS = 2000 };
    int d = s->net.d;
    int which = s->opt->resample ? XRAY_RESAMPLED : XRAY_NETWORK;
    xray_verdict *w = xray_alloc((size_t)n, sizeof *w);
    double *theta = xray_alloc(DRAWS, (size_t)d * sizeof *theta);
    double u[XRAY_MAX_FREE];
    double off = 0;
    double worst = 0;
    double r2[2] = {0, 0};
    double t0 = seconds_now();
    xray_judging g = judging_of(s, set);
    const xray_data *data = &s->data[0];
    xray_judge_room room = {.data = *data, .counts = data->counts, .variance = data->variance};
    int *rank = xray_alloc((size_t)n, sizeof *rank);
    if (!w || !theta || !rank) {
        fail("fit_xray: out of memory");
    }
    for (int i = 0; i < n; i++) {
        w[i] = v[i];
        xray_judge_counts(&room, &g, (size_t)i);
        bml_mcmc_nested_result r;
        bml_mcmc_nested_free(nested_draws(s, theta, DRAWS, &r));
        for (long j = 0; j < DRAWS; j++) {
            if (bml_mcmc_prior_inverse(s->prior, u, theta + j * d)) {
                fail("fit_xray judge: a draw outside of the prior");
            }
            for (int k = 0; k < d; k++)
                theta[j * d + k] = xray_probit(u[k]);
        }
        xray_judge_draws(&w[i], which, theta, DRAWS, d);
        for (int k = 0; k < d; k++) {
            double apart = w[i].mean[which][k] - v[i].mean[which][k];
            double x = apart / w[i].sd[which][k];
            off += x * x / (n * d);
            worst = fmax(worst, fabs(x));
        }
    }
    xray_score score;
    for (int k = 0; k < d; k++) {
        xray_judge_score(&score, v, rank, n, which, k);
        r2[0] += score.r2 / d;
        xray_judge_score(&score, w, rank, n, which, k);
        r2[1] += score.r2 / d;
    }
    double each = (seconds_now() - t0) / n;
    double error = xray_judge_r2_error(w, n, which, 0, d);
    const char *whose = which ? "resampled" : "network's";
    printf("nested sampling of the first %d, %.1f s each: ", n, each);
    if (isfinite(r2[1])) {
        printf("R^2 of its means %.4f +- %.4f, ", r2[1], error);
        printf("of the %s ones of the same spectra %.4f; ", whose, r2[0]);
    } else {
        printf("truths that do not vary, or one, have no R^2; ");
    }
    printf("apart by %.2f sd (rms), %.2f at most\n", sqrt(off), worst);
    free(w);
    free(theta);
    free(rank);
}

/* Fits that are wrong, by distance from the truth and by statistic. */
static void judge_fits(const session *s, const xray_verdict *v, int n) {
    int which = s->opt->resample ? XRAY_RESAMPLED : XRAY_NETWORK;
    int d = s->net.d;
    int one = 0;
    int net = 0;
    int one_c = 0;
    int net_c = 0;
    for (int i = 0; i < n; i++) {
        const xray_verdict *own = &v[i];
        one += xray_fit_is_wrong(own, own->one_start, which, d);
        net += xray_fit_is_wrong(own, own->net_start, which, d);
        one_c += own->excess_one > 25;
        net_c += own->excess_net > 25;
    }
    printf("fits further than 5 sd from the truth: chi2 from one start %.1f %%, from the network %.1f %%\n",
           100.0 * one / n, 100.0 * net / n);
    printf("fits with C more than 25 above that of the truth: %.1f %%, %.1f %%\n", 100.0 * one_c / n,
           100.0 * net_c / n);
}

/* DIR/judge.csv: truth, means and fits, in the model's units. */
static void write_judge(session *s, const xray_verdict *v, int n) {
    static const char *const way[] = {"", ".network", ".resampled", ".fit_one_start", ".fit_net_start"};
    char err[ERROR_SIZE];
    out_file o;
    if (out_begin(&o, s->opt->out, "judge.csv", err)) {
        fail("%s", err);
    }
    for (int k = 0; k < s->net.d; k++)
        for (int c = 0; c < 5; c++)
            fprintf(o.f, "%s%s%s", k || c ? "," : "", parameter_name(s, k), way[c]);
    fprintf(o.f, ",effective_share,effective_samples\n");
    for (int i = 0; i < n; i++) {
        const xray_verdict *own = &v[i];
        const double *from[] = {own->truth, own->mean[0], own->mean[1], own->one_start, own->net_start};
        double row[5][XRAY_MAX_FREE];
        for (int c = 0; c < 5; c++)
            bml_mcmc_prior_transform(s->prior, row[c], from[c]);
        for (int k = 0; k < s->net.d; k++)
            for (int c = 0; c < 5; c++)
                fprintf(o.f, "%s%.7g", k || c ? "," : "", row[c][k]);
        fprintf(o.f, ",%.4g,%.4g\n", own->ess_net, own->ess);
    }
    if (out_commit(&o, err)) {
        fail("%s", err);
    }
}

/* DIR/recovered.png: true against recovered values, by the network, by resampling and by the fit from one start. */
static void plot_recovered(session *s, const xray_verdict *v, int n) {
    static const char *const way[] = {"network", "resampled", "chi2 fit, one start"};
    static const char *const short_way[] = {"network", "chi2 fit, one start"};
    const char *label[XRAY_MAX_FREE];
    char room[XRAY_MAX_FREE][XRAY_NAME + 24];
    int d = s->net.d;
    int ways = s->opt->resample ? 3 : 2;
    size_t row = (size_t)((1 + ways) * d);
    double *value = xray_alloc((size_t)n, row * sizeof *value);
    double *to = value;
    xray_recovered r = {d, ways, n, label, s->opt->resample ? way : short_way, value};
    char err[ERROR_SIZE];
    if (!value) {
        fail("fit_xray: out of memory");
    }
    for (int i = 0; i < n; i++) {
        const xray_verdict *own = &v[i];
        const double *from[] = {own->truth, own->mean[0], own->mean[1], own->one_start};
        for (int c = 0; c < 4; c++) {
            if (c == 2 && !s->opt->resample) {
                continue;
            }
            memcpy(to, from[c], (size_t)d * sizeof *to);
            to += d;
        }
    }
    picture_names(label, room, s);
    if (xray_plot_recovered(s->opt->out, &r, err)) {
        fail("%s", err);
    }
    free(value);
}

/* The spectra to judge: simulated from the prior, or the last fifth, which train has not seen, of --train-on. Returns
   how many there are, at most n. */
static int judge_set(xray_set *set, session *s, int n) {
    char err[ERROR_SIZE];
    const char *table = s->opt->train_on;
    uint64_t seed = s->opt->seed;
    if (!table) {
        const size_t first = (size_t)1 << 36;
        if (xray_set_make(set, (size_t)n, first, s->fitter, s->threads, s->prior, seed, err)) {
            fail("%s", err);
        }
        return n;
    }
    if (xray_set_read(set, table, s->prior, s->net.d, s->net.n_bin, err)) {
        fail("%s", err);
    }
    xray_set_keep(set, set->n - set->n / 5, (size_t)n);
    return (int)set->n;
}

/* Ranks of the truth among the draws that would be used, the worst parameter: uniform in a calibrated posterior. */
static void verdict_ranks(verdict *v, const session *s, const xray_verdict *one, int n) {
    int which = s->opt->resample ? XRAY_RESAMPLED : XRAY_NETWORK;
    int *rank = xray_alloc((size_t)n, sizeof *rank);
    double least = 1;
    int worst = 0;
    if (!rank) {
        fail("fit_xray: out of memory");
    }
    for (int k = 0; k < s->net.d; k++) {
        xray_score score;
        xray_judge_score(&score, one, rank, n, which, k);
        if (score.rank_p >= least) {
            continue;
        }
        least = score.rank_p;
        worst = k;
    }
    free(rank);
    double p = least * s->net.d; /* the least of d */
    verdict_add(v, verdict_colour(-p, -0.01, -1e-4), "rank_p", least,
                "The ranks of the truth are %suniform (least p-value %.2g, of %s)%s.", p < 0.01 ? "not " : "", least,
                parameter_name(s, worst), p < 0.01 ? ": the widths are not to be believed" : "");
}

static int command_judge(session *s) {
    xray_set set;
    int n = judge_set(&set, s, (int)s->opt->n);
    int few = 0;
    xray_verdict *v = xray_alloc((size_t)n, sizeof *v);
    xray_judging g = judging_of(s, &set);
    g.resample = s->opt->resample;
    g.evaluations = (int)s->opt->evaluations;
    double share = 0;
    double least = 1e300;
    double t0 = seconds_now();
    if (!v) {
        fail("fit_xray: out of memory");
    }
    int bad = xray_judge(v, &g, n, s->threads);
    if (bad) {
        fail(bad < 0 ? "fit_xray: out of memory" : "fit_xray judge: %d of %d spectra could not be judged", bad, n);
    }
    printf("%d spectra judged in %.0f s\n", n, seconds_now() - t0);
    judge_table(s, v, n, XRAY_NETWORK);
    if (s->opt->resample) {
        judge_table(s, v, n, XRAY_RESAMPLED);
        for (int i = 0; i < n; i++) {
            double ess = v[i].ess;
            share += v[i].ess_net / n;
            least = fmin(least, ess);
            few += ess < 400;
        }
        printf("of the network's draws %.1f %% are effective in the mean; ", 100 * share);
        printf("fewest effective samples after resampling: %.0f; fewer than 400 in %d spectra\n", least, few);
    }
    judge_fits(s, v, n);
    if (s->opt->judge_nested) {
        judge_nested(s, &set, v, (int)fmin(n, (double)s->opt->judge_nested));
    }
    write_judge(s, v, n);
    plot_recovered(s, v, n);
    verdict say = {0};
    verdict_ranks(&say, s, v, n);
    if (s->opt->resample) {
        verdict_add(&say, 20 * few > n ? VERDICT_YELLOW : VERDICT_GREEN, "few_samples", few,
                    "%d of %d spectra have fewer than 400 effective samples.", few, n);
    }
    free(v);
    xray_set_free(&set);
    return finish(s, &say, NULL);
}

/* ==== compare ===================================================================================================== */

enum { COMPARE_NESTED, COMPARE_ENSEMBLE, COMPARE_NETWORK, COMPARE_RESAMPLED, COMPARED };
static const char *const compared[COMPARED] = {"nested", "ensemble", "network", "resampled"};
/* The table of distances to nested sampling; DIR/distance.csv. Beside it the floor: half the distance of two halves of
   the nested draws, as what 2 x n draws of one distribution have. */
static void distance_table(session *s, double *const *theta, long n) {
    int d = s->fitter[0]->n_free;
    double *column[COMPARED];
    double table[XRAY_MAX_FREE][COMPARED];
    char err[ERROR_SIZE];
    printf("Jensen-Shannon distance to nested sampling [nats]\n%-22s %10s %10s %10s %10s\n", "parameter", "floor",
           compared[1], compared[2], compared[3]);
    for (int c = 0; c < COMPARED; c++)
        if (!(column[c] = xray_alloc((size_t)n, sizeof(double)))) {
            fail("fit_xray: out of memory");
        }
    for (int k = 0; k < d; k++) {
        for (int c = 0; c < COMPARED; c++)
            for (long i = 0; i < n; i++)
                column[c][i] = theta[c][i * d + k];
        double *row = table[k];
        long half = n / 2;
        row[0] = 0.5 * xray_jensen_shannon(column[0], half, column[0] + half, n - half);
        for (int c = 1; c < COMPARED; c++) {
            row[c] = xray_jensen_shannon(column[0], n, column[c], n);
        }
        printf("%-22s", parameter_name(s, k));
        for (int c = 0; c < COMPARED; c++) {
            printf(" %10.4f", row[c]);
        }
        printf("\n");
    }
    for (int c = 0; c < COMPARED; c++)
        free(column[c]);
    out_file o;
    if (out_begin(&o, s->opt->out, "distance.csv", err)) {
        fail("%s", err);
    }
    fprintf(o.f, "parameter,floor,ensemble,network,resampled\n");
    for (int k = 0; k < d; k++) {
        fprintf(o.f, "%s", parameter_name(s, k));
        for (int c = 0; c < COMPARED; c++) {
            fprintf(o.f, ",%.4g", table[k][c]);
        }
        fprintf(o.f, "\n");
    }
    if (out_commit(&o, err)) {
        fail("%s", err);
    }
}

/* DIR/corner.png with all posteriors in it. */
static void plot_overlay(session *s, double *const *theta, long n) {
    const char *label[XRAY_MAX_FREE];
    char room[XRAY_MAX_FREE][XRAY_NAME + 24];
    xray_overlay p = {COMPARED, s->fitter[0]->n_free, n, compared, theta, label};
    char err[ERROR_SIZE];
    picture_names(label, room, s);
    if (xray_plot_overlay(s->opt->out, &p, err)) {
        fail("%s", err);
    }
}

static void print_nested(const bml_mcmc_nested_result *r, double seconds) {
    unsigned long long calls = r->evaluations;
    printf("nested: %.1f s, ln Z %.2f +- %.2f, ", seconds, r->log_z, r->log_z_error);
    printf("%.0f effective samples, %llu likelihoods\n", r->ess, calls);
}

static int command_compare(session *s) {
    long n = s->opt->draws;
    int d = s->fitter[0]->n_free;
    double *theta[COMPARED];
    double best[XRAY_MAX_FREE];
    double median[COMPARED * XRAY_MAX_FREE];
    double t0 = seconds_now();
    double seconds[2];
    bml_mcmc_nested_result r;
    xray_resampled resampled = {.n = 0};
    for (int c = 0; c < COMPARED; c++)
        if (!(theta[c] = xray_alloc((size_t)n, (size_t)d * sizeof(double)))) {
            fail("fit_xray: out of memory");
        }
    if (!(s->opt->min_ess > 0)) {
        s->opt->min_ess = (double)n; /* as many effective samples as draws */
    }
    bml_mcmc_nested *nested = nested_draws(s, theta[COMPARE_NESTED], n, &r);
    seconds[0] = seconds_now() - t0;
    print_nested(&r, seconds[0]);
    const double *last = r.theta + (r.n_points - 1) * (size_t)d;
    memcpy(best, last, (size_t)d * sizeof *best);
    bml_mcmc_nested_free(nested);
    t0 = seconds_now();
    ensemble_result walked;
    ensemble_draws(s, theta[COMPARE_ENSEMBLE], n, &walked);
    seconds[1] = seconds_now() - t0;
    printf("ensemble: %.1f s, %.0f effective samples, %llu likelihoods\n", seconds[1],
           fmin(walked.verdict.ess_bulk, walked.verdict.ess_tail), (unsigned long long)walked.evaluations);
    net_posterior(s, theta[COMPARE_NETWORK], theta[COMPARE_RESAMPLED], n, &resampled);
    distance_table(s, theta, n);
    for (int c = 0; c < COMPARED; c++)
        printf("%-10s statistic at the medians: %.2f in %d bins\n", compared[c],
               at_median(s, median + c * d, theta[c], n), s->fitter[0]->n_bin);
    write_posterior(s, theta[COMPARE_RESAMPLED], n, best);
    plot_overlay(s, theta, n);
    plot_spectrum(s, median, compared, COMPARED);
    verdict v = {0};
    xray_best fit;
    verdict_of_sampler(&v, &walked.verdict);
    if (!r.converged || !r.rank_ok) {
        verdict_add(&v, VERDICT_RED, "nested", r.rank_p, "Nested sampling is not content with itself (p = %.2g).",
                    r.rank_p);
    }
    verdict_network(&v, s, &resampled);
    at_point(&fit, s, best);
    verdict_posterior(&v, s, &fit, theta[COMPARE_NESTED], n);
    run_entry results[] = {{"nested_seconds", seconds[0], NULL},
                           {"ensemble_seconds", seconds[1], NULL},
                           {"nested_log_z", r.log_z, NULL},
                           {"resampled_log_z", resampled.log_z, NULL},
                           {"resampled_effective_samples", resampled.ess, NULL},
                           {"effective_share_of_network", resampled.ess_net, NULL},
                           {NULL, 0, NULL}};
    for (int c = 0; c < COMPARED; c++)
        free(theta[c]);
    xray_resampled_free(&resampled);
    return finish(s, &v, results);
}
#endif
