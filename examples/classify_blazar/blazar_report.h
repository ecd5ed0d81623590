/* blazar_report.h: what classify_blazar says of its results: tables, verdicts, pictures, run.json. Public domain or
   MIT, see LICENSE. */
#ifndef BLAZAR_REPORT_H
#define BLAZAR_REPORT_H
#include "blazar_decide.h"
#include "blazar_importance.h"
#include "verdict.h"

/* ==== tables ====================================================================================================== */

/* All points, as a table that this program reads. */
static int write_seds(const sed_set *set, const settings *s, char *err) {
    out_file f;
    if (out_begin(&f, s->out, "seds.csv", err)) {
        return -1;
    }
    static const char *const label[3] = {"", "nonblazar", "blazar"};
    fprintf(f.f, "source,log10_nu_Hz,log10_nuFnu,err_dex,is_ul,label\n");
    for (int i = 0; i < set->n; i++) {
        for (int k = 0; k < set->sed[i].n; k++) {
            const point *p = &set->point[set->sed[i].first + (size_t)k];
            csv_text(f.f, set->sed[i].name);
            fprintf(f.f, ",%.4f,%.4f,%.4f,%d,%s\n", p->nu, p->flux, p->error, p->limit, label[set->sed[i].label + 1]);
        }
    }
    return out_commit(&f, err);
}

static void net_name(char *name, int net) {
    choice_word(name, NAME, nets, net);
}

static void print_evaluation(const net_scores *e, const outcome *o, const world *w) {
    char name[NAME];
    printf("%-10s %-16s %-16s %-7s %-22s %-20s %s\n", "", "AUC, its error", "folds, sd", "PR AUC",
           "right: blazars, others", "AUC less forest", "s a fold");
    for (int net = 0; net < N_NETS; net++) {
        const double *c = e[net].matrix;
        if (!w->s->wanted[net]) {
            continue;
        }
        net_name(name, net);
        printf("%-10s %.4f +- %.4f %.4f ", name, e[net].auc, e[net].error, e[net].mean);
        if (isnan(e[net].sd)) { /* one fold */
            printf("%9s ", "");
        } else {
            printf("+- %.4f ", e[net].sd);
        }
        printf("%.4f  %5.1f %%, %5.1f %% ", e[net].pr_auc, 100 * c[3] / (c[2] + c[3]), 100 * c[0] / (c[0] + c[1]));
        if (isnan(e[net].gain)) {
            printf("%21s", "");
        } else {
            printf("    %+.4f +- %.4f", e[net].gain, e[net].gain_error);
        }
        printf("  %.1f\n", o->seconds[net]);
    }
    if (!w->s->wanted[STACK]) {
        return;
    }
    printf("settings of the stack, by folds within each training part (logistic, forest, boost, net, kernel; 0 to 2):");
    for (int k = 0; k < o->n_run; k++) {
        for (int m = 0; m < N_MEMBERS; m++) {
            printf("%s%d", m ? "" : " ", o->chosen[k][m]);
        }
    }
    printf("\n");
}

static int write_evaluation(const net_scores *e, const outcome *o, const world *w, char *err) {
    out_file f;
    char name[NAME];
    if (out_begin(&f, w->s->out, "evaluation.csv", err)) {
        return -1;
    }
    fprintf(f.f, "net,auc,auc_error,fold_auc_mean,fold_auc_sd,pr_auc,threshold,true_other,false_blazar,missed_blazar,"
                 "true_blazar,auc_less_forest,its_paired_error,seconds_a_fold\n");
    for (int net = 0; net < N_NETS; net++) {
        const net_scores *n = &e[net];
        if (!w->s->wanted[net]) {
            continue;
        }
        net_name(name, net);
        fprintf(f.f, "%s,%.6g,%.4g,%.6g,%.4g,%.6g,%.6g,%.0f,%.0f,%.0f,%.0f,%.4g,%.4g,%.4g\n", name, n->auc, n->error,
                n->mean, n->sd, n->pr_auc, n->threshold, n->matrix[0], n->matrix[1], n->matrix[2], n->matrix[3],
                n->gain, n->gain_error, o->seconds[net]);
    }
    if (out_commit(&f, err) || out_begin(&f, w->s->out, "folds.csv", err)) {
        return -1;
    }
    fprintf(f.f, "net,fold,auc,validation_loss\n");
    for (int net = 0; net < N_NETS; net++) {
        for (int k = 0; k < o->n_run && w->s->wanted[net]; k++) {
            net_name(name, net);
            fprintf(f.f, "%s,%d,%.6g,%.6g\n", name, k, o->fold_auc[net][k], o->val_loss[net][k]);
        }
    }
    if (out_commit(&f, err) || out_begin(&f, w->s->out, "scores.csv", err)) {
        return -1;
    }
    fprintf(f.f, "source,blazar,fold");
    for (int net = 0; net < N_NETS; net++) {
        if (w->s->wanted[net]) {
            net_name(name, net);
            fprintf(f.f, ",%s", name);
        }
    }
    fprintf(f.f, "\n");
    for (int i = 0; i < w->set->n; i++) {
        if (o->fold[i] < 0 || o->fold[i] >= o->n_run) {
            continue;
        }
        csv_text(f.f, w->set->sed[i].name);
        fprintf(f.f, ",%d,%d", w->set->sed[i].label, o->fold[i]);
        for (int net = 0; net < N_NETS; net++) {
            if (w->s->wanted[net]) {
                fprintf(f.f, ",%.6g", o->score[net][i]);
            }
        }
        fprintf(f.f, "\n");
    }
    return out_commit(&f, err);
}

/* ROC and precision-recall of the test rows together. */
static int write_curves(const outcome *o, const world *w, char *err) {
    const sed_set *set = w->set;
    int room = set->n + 1;
    double *c = zeroed(5 * room, sizeof *c);
    double *v = c + 4 * room;
    int *y = zeroed(room, sizeof *y);
    char name[NAME];
    out_file f;
    if (out_begin(&f, w->s->out, "curves.csv", err)) {
        return -1;
    }
    fprintf(f.f, "net,threshold,false_positive,true_positive,precision\n");
    for (int net = 0; net < N_NETS; net++) {
        if (!w->s->wanted[net]) {
            continue;
        }
        int n = scored_rows(v, y, o, net, set);
        int m = bml_classify_curve(c, c + room, c + 2 * room, c + 3 * room, v, y, NULL, n);
        net_name(name, net);
        for (int i = 0; i < m; i++) {
            fprintf(f.f, "%s,%.6g,%.6g,%.6g,%.6g\n", name, c[i], c[room + i], c[2 * room + i], c[3 * room + i]);
        }
    }
    free(c);
    free(y);
    return out_commit(&f, err);
}

static double bin_nu(const world *w, int b) {
    return 0.5 * (w->coarse.edge[b] + w->coarse.edge[b + 1]);
}

static int write_importance(const importance *m, const world *w, char *err) {
    out_file f;
    if (out_begin(&f, w->s->out, "importance.csv", err)) {
        return -1;
    }
    fprintf(f.f, "log10_nu_Hz,importance,complete_others,complete_blazars\n");
    for (int b = 0; b < SMALL_BINS; b++) {
        fprintf(f.f, "%.2f,%.5g,%.4f,%.4f\n", bin_nu(w, b), m->share[b], m->complete[0][b], m->complete[1][b]);
    }
    printf("most important frequencies, log10 Hz:");
    for (int b = 0; b < m->n_top; b++) {
        printf(" %.2f", bin_nu(w, m->top[b]));
    }
    if (m->ratio[0] == m->ratio[1]) {
        printf("\nbest single number among them: the flux at %.2f", bin_nu(w, m->ratio[0]));
    } else {
        printf("\nbest single number among them: the flux ratio of %.2f to %.2f", bin_nu(w, m->ratio[0]),
               bin_nu(w, m->ratio[1]));
    }
    printf(", AUC %.4f (chosen on training rows, mean over folds)\n", m->ratio_auc);
    return out_commit(&f, err);
}

/* What the threshold is, and what it was worth on the folds. */
static void print_decision(const decision *d, const outcome *o, const world *w) {
    const settings *s = w->s;
    char name[NAME];
    net_name(name, o->kept_net);
    const char *what = s->completeness > 0 ? "completeness" : "purity";
    double asked = s->completeness > 0 ? s->completeness : s->purity;
    if (!d->reached) {
        printf(
            "%s net: no threshold with %d sources above it reaches a %s of %g: nothing is called a blazar; the purest "
            "that finds a twentieth of the blazars has a purity of %.3f\n",
            name, LEAST_CALLED, what, asked, d->purest);
        return;
    }
    printf("%s net, %s %g: blazar where p >= %.4f; all test rows: purity %.3f, completeness %.3f\n", name, what, asked,
           d->cut.threshold, d->cut.purity, d->cut.completeness);
    if (isnan(d->purity)) {
        return;
    }
    printf(
        "with calibration and threshold from the other folds: purity %.3f +- %.3f, completeness %.3f +- %.3f: expect "
        "%.1f %% of those called to be none\n",
        d->purity, d->purity_error, d->completeness, d->completeness_error, 100 * (1 - d->purity));
}

typedef struct judged { /* the sources without a label */
    int n;
    int called;
    double *p;           /* [n] calibrated mean of the folds' models */
    double *sd;          /* scatter of their scores */
    double *distance;    /* [n] from the labelled sources, in the few bands; NaN where that cannot be said */
    double expected;     /* blazars among them, by the sum of p */
    double contaminated; /* of those called, by the sum of 1 - p */
    int outside;
} judged;

static const double OUTSIDE = 3; /* distance from the labelled sources that the program warns of */

/* Distances from the labelled sources, by the features of the few bands. */
static void measure_distances(judged *j, const world *w) {
    int *train = zeroed(w->set->n, sizeof *train);
    int n = 0;
    for (int i = 0; i < w->set->n; i++) {
        if (w->set->sed[i].label >= 0) {
            train[n++] = i;
        }
    }
    int known =
        w->table->d > 0 && !bml_classify_domain_distance(j->distance, w->table, w->judge, j->n, train, n, NULL, 0);
    for (int i = 0; i < j->n; i++) {
        if (!known) {
            j->distance[i] = (double)NAN;
        }
        j->outside += j->distance[i] >= OUTSIDE;
    }
    free(train);
}

static void judge_sources(judged *j, const decision *d, const outcome *o, const world *w) {
    int n = w->n_judge;
    memset(j, 0, sizeof *j);
    j->n = w->n_judge;
    j->p = zeroed(n, sizeof *j->p);
    j->sd = zeroed(n, sizeof *j->sd);
    j->distance = zeroed(n, sizeof *j->distance);
    if (!d->calibration) {
        j->n = 0; /* the folds that were run hold one class only */
        return;
    }
    for (int i = 0; i < j->n; i++) {
        double mean;
        bml_classify_mean_sd(&mean, &j->sd[i], o->judged + (size_t)i * (size_t)o->n_run, o->n_run);
        j->p[i] = calibrated(d, o, mean);
        int called = j->p[i] >= d->cut.threshold;
        j->called += called;
        j->expected += j->p[i];
        if (called) {
            j->contaminated += 1 - j->p[i];
        }
    }
    if (j->n) {
        measure_distances(j, w);
    }
}

static void free_judged(judged *j) {
    free(j->p);
    free(j->sd);
    free(j->distance);
}

/* predictions.csv: sources without a label, by the mean of the folds' models. */
static int write_predictions(const judged *j, const decision *d, const outcome *o, const world *w, char *err) {
    char name[NAME];
    out_file f;
    if (!j->n) {
        return 0;
    }
    net_name(name, o->kept_net);
    if (out_begin(&f, w->s->out, "predictions.csv", err)) {
        return -1;
    }
    fprintf(f.f, "source,points,p_blazar,sd,verdict,domain_distance\n");
    for (int i = 0; i < j->n; i++) {
        const sed *of = &w->set->sed[w->judge[i]];
        const char *word = j->p[i] >= d->cut.threshold ? "blazar" : "nonblazar";
        csv_text(f.f, of->name);
        fprintf(f.f, ",%d,%.5f,%.5f,%s,%.3f\n", of->n, j->p[i], j->sd[i], word, j->distance[i]);
    }
    printf("%d sources judged by the %s net: %d called blazars at p >= %.4f; expected false among these: %.1f by the "
           "folds' purity, %.1f by their own probabilities\n",
           j->n, name, j->called, d->cut.threshold, j->called * (1 - d->purity), j->contaminated);
    return out_commit(&f, err);
}

static int write_run(const net_scores *e, const decision *d, const judged *j, const verdict *v, const world *w,
                     const option_row *rows, double seconds, char *err) {
    run_entry results[N_NETS + 8];
    static const char *const auc[N_NETS] = {"auc_radio", "auc_forest", "auc_stack",
                                            "auc_small", "auc_points", "auc_published"};
    const run_entry decided[] = {
        {"threshold", d->cut.threshold, NULL},
        {"purity", d->purity, NULL},
        {"purity_error", d->purity_error, NULL},
        {"completeness", d->completeness, NULL},
        {"completeness_error", d->completeness_error, NULL},
        {"called", j->called, NULL},
    };
    run_info info = {
        .program = "classify_blazar",
        .options = rows,
        .input = w->s->input,
        .seed = w->s->seed,
        .seconds = seconds,
        .results = results,
        .more = verdict_json,
        .more_of = v,
    };
    int n = 0;
    memset(results, 0, sizeof results);
    results[n].name = "sources";
    results[n++].number = w->set->n;
    for (int net = 0; net < N_NETS; net++) {
        if (!w->s->wanted[net]) {
            continue;
        }
        results[n].name = auc[net];
        results[n++].number = e[net].auc;
    }
    for (int i = 0; i < 6; i++) {
        results[n++] = decided[i];
    }
    return run_write(w->s->out, &info, err);
}

/* ==== the verdict ================================================================================================= */

/* On the labelled sources, and how the classifier does on them. */
static void judge_training(verdict *v, const net_scores *e, const decision *d, const outcome *o, const world *w) {
    const settings *s = w->s;
    const net_scores *own = &e[o->kept_net];
    double lift = own->auc - 0.5;
    if (s->shuffle) {
        verdict_add(v, VERDICT_RED, "labels", 0, "The labels were shuffled: a check of the machinery.");
    }
    if (s->simulate) {
        verdict_add(v, VERDICT_YELLOW, "simulated", (double)s->simulate,
                    "The sources are simulated: their numbers say nothing on how well real blazars are found.");
    }
    int colour = VERDICT_GREEN;
    if (d->n_blazars < 50) {
        colour = VERDICT_YELLOW;
    }
    if (d->n_blazars < 10) {
        colour = VERDICT_RED;
    }
    verdict_add(v, colour, "blazars", d->n_blazars, "Tested on %d blazars; a tenth of a share needs some 50.",
                d->n_blazars);
    colour = VERDICT_GREEN;
    if (!(lift > 3 * own->error)) {
        colour = VERDICT_RED;
    }
    if (isnan(own->error) && own->auc > 0.5) {
        colour = VERDICT_YELLOW;
    }
    char of[64] = ", without exception, which leaves no error to quote"; /* all pairs in order, or none */
    if (own->error > 0) {
        snprintf(of, sizeof of, " +- %.4f", own->error);
    }
    if (isnan(own->error)) {
        snprintf(of, sizeof of, ", of an unknown error");
    }
    verdict_add(v, colour, "auc", own->auc, "AUC on sources not trained on: %.4f%s; 0.5 is chance.", own->auc, of);
    if (!s->wanted[RADIO] || o->kept_net == RADIO) {
        return;
    }
    double gain;
    double error;
    paired(&gain, &error, o->score[o->kept_net], o->score[RADIO], w->set);
    colour = gain > 2 * error ? VERDICT_GREEN : VERDICT_YELLOW;
    verdict_add(v, colour, "auc_less_radio", gain, "AUC less that of the radio flux alone: %+.4f +- %.4f.", gain,
                error);
}

/* On the threshold. */
static void judge_threshold(verdict *v, const decision *d, const world *w) {
    const settings *s = w->s;
    int by_completeness = s->completeness > 0;
    const char *what = by_completeness ? "completeness" : "purity";
    double asked = by_completeness ? s->completeness : s->purity;
    double got = by_completeness ? d->completeness : d->purity;
    double error = by_completeness ? d->completeness_error : d->purity_error;
    if (!d->reached) {
        verdict_add(v, VERDICT_RED, what, (double)NAN,
                    "No threshold reaches a %s of %g; the purest that finds a twentieth of the blazars has %.3f.", what,
                    asked, d->purest);
        return;
    }
    if (isnan(d->called)) {
        verdict_add(v, VERDICT_YELLOW, what, (double)NAN,
                    "The %s of the threshold could not be tried on other sources: only one fold was run.", what);
        return;
    }
    if (d->called < LEAST_CALLED) {
        verdict_add(v, VERDICT_RED, what, d->called,
                    "Thresholds from other folds call %.0f sources: too few to tell their %s.", d->called, what);
        return;
    }
    int colour = VERDICT_GREEN;
    if (got < asked - error) {
        colour = VERDICT_YELLOW;
    }
    if (got < asked - 3 * error) {
        colour = VERDICT_RED;
    }
    verdict_add(v, colour, what, got, "Asked for a %s of %g; thresholds from other folds reach %.3f +- %.3f.", what,
                asked, got, error);
    double other = by_completeness ? d->purity : d->completeness;
    verdict_add(v, other >= 0.5 ? VERDICT_GREEN : VERDICT_YELLOW, by_completeness ? "purity" : "completeness", other,
                by_completeness ? "Of those called, this share are blazars; the others contaminate."
                                : "This share of the blazars is called; the others are missed.");
    verdict_add(v, verdict_colour(d->calibration_error, 0.05, 0.15), "calibration_error", d->calibration_error,
                "Mean difference of probability and true share, on the folds.");
}

/* On the sources that were judged. */
static void judge_judged(verdict *v, const judged *j, const decision *d) {
    if (!j->n) {
        return;
    }
    double far = (double)j->outside / j->n;
    double share = j->expected / j->n;
    verdict_add(v, verdict_colour(far, 0.05, 0.5), "outside", far,
                "%d of %d judged sources lie outside what the labelled ones cover (distance %g and more).", j->outside,
                j->n, OUTSIDE);
    int like = share < 2 * d->share && share > 0.5 * d->share;
    verdict_add(
        v, like ? VERDICT_GREEN : VERDICT_YELLOW, "share", share,
        "Expected share of blazars among the judged, %.3f, and among the labelled, %.3f: the purity holds where they "
        "agree.",
        share, d->share);
}

/* ==== pictures ==================================================================================================== */

static const char *const colour[N_NETS] = {"#999999", "#0072B2", "#CC79A7", "#D55E00", "#009E73", "#E69F00"};

static int draw_curves(const world *w, char *err) {
    char name[NAME];
    out_file o;
    if (plot_begin(&o, w->s->out, "curves", 1200, 560, 14, err)) {
        return -1;
    }
    fprintf(o.f,
            "set datafile separator ','\nset multiplot layout 1,2\nset grid lc rgb '#dddddd'\nset yrange [0:1.01]\n");
    int net;
    int first;
    for (int panel = 0; panel < 2; panel++) {
        fprintf(o.f,
                panel ? "set xrange [0:1]\nset key bottom left\nset xlabel 'recall'\nset ylabel 'precision'\n"
                      : "set xrange [0:0.5]\nset key bottom right\nset xlabel 'others taken for blazars'\nset ylabel "
                        "'blazars found'\n");
        fprintf(o.f, "plot ");
        for (first = 1, net = 0; net < N_NETS; net++) {
            if (!w->s->wanted[net]) {
                continue;
            }
            net_name(name, net);
            fprintf(
                o.f,
                "%s'curves.csv' every ::1 using (strcol(1) eq '%s'?$%d:1/0):%d with lines lw 2 lc rgb '%s' title '%s'",
                first ? "" : ", ", name, panel ? 4 : 3, panel ? 5 : 4, colour[net], name);
            first = 0;
        }
        fprintf(o.f, "\n");
    }
    fprintf(o.f, "unset multiplot\n");
    return plot_end(&o, w->s->out, "curves", err);
}

static int draw_importance(const world *w, char *err) {
    out_file o;
    if (plot_begin(&o, w->s->out, "importance", 1100, 560, 14, err)) {
        return -1;
    }
    fprintf(
        o.f,
        "set datafile separator ','\nset xlabel 'log_{10} frequency [Hz]'\nset ylabel 'share of the gradient'\n"
        "set y2label 'share of sources measured'\nset ytics nomirror\nset y2tics\nset y2range [0:1.3]\nset yrange "
        "[0:*]\nset xrange [7:27.6]\nset key top right\nset style fill solid 0.25 noborder\nplot 'importance.csv' "
        "every ::1 "
        "using 1:3 axes x1y2 with histeps lw 1.5 lc rgb '#0072B2' title 'measured: others', '' every ::1 using 1:4 "
        "axes x1y2 with histeps lw 1.5 lc rgb '#009E73' title 'measured: blazars', '' every ::1 using 1:2:(0.09) with "
        "boxes fs solid 0.8 lc rgb '#D55E00' title 'importance'\n");
    return plot_end(&o, w->s->out, "importance", err);
}

/* The first three labelled sources of each class. */
static int draw_examples(const world *w, char *err) {
    const sed_set *set = w->set;
    int shown[2] = {0, 0};
    out_file o;
    if (plot_begin(&o, w->s->out, "examples", 1300, 700, 12, err)) {
        return -1;
    }
    fprintf(o.f,
            "set multiplot layout 2,3\nunset key\nset grid lc rgb '#dddddd'\nset xrange [7:27.6]\nset yrange [-18:-9]\n"
            "set xlabel 'log_{10} frequency [Hz]'\nset ylabel 'log_{10} nuFnu [erg cm^{-2} s^{-1}]'\n");
    for (int label = 1; label >= 0; label--) {
        for (int i = 0; i < set->n && shown[label] < 3; i++) {
            const sed *s = &set->sed[i];
            if (s->label != label) {
                continue;
            }
            for (int limit = 0; limit < 2; limit++) {
                fprintf(o.f, "$d%d << EOD\n1e9 1e9 0\n", limit);
                for (int k = 0; k < s->n; k++) {
                    const point *p = &set->point[s->first + (size_t)k];
                    if (p->limit == limit) {
                        fprintf(o.f, "%.4f %.4f %.4f\n", p->nu, p->flux, p->error);
                    }
                }
                fprintf(o.f, "EOD\n");
            }
            fprintf(o.f, "set title ");
            plot_text(o.f, s->name);
            fprintf(
                o.f,
                "\nplot $d0 using 1:2:3 with yerrorbars pt 7 ps 0.5 lc rgb '%s', $d1 using 1:2 with points pt 11 lc "
                "rgb '#888888'\n",
                label ? colour[SMALL] : colour[FOREST]);
            shown[label]++;
        }
    }
    fprintf(o.f, "unset multiplot\n");
    return plot_end(&o, w->s->out, "examples", err);
}

static void draw(const world *w, int explained) {
    char err[ERROR_SIZE];
    int status = draw_curves(w, err);
    int missing = status;
    if (status >= 0 && (status = draw_examples(w, err)) >= 0 && explained) {
        status = draw_importance(w, err);
    }
    if (status < 0) {
        fail("%s", err);
    }
    if (missing) {
        printf("no gnuplot here: the pictures are left as scripts, %s/*.gp\n", w->s->out);
    }
}
#endif
