/* blazar_report.h: what classify_blazar says of its results: tables, verdicts, pictures, run.json. Public domain or
   MIT, see LICENSE. */
#ifndef BLAZAR_REPORT_H
#define BLAZAR_REPORT_H
#include "blazar_importance.h"

/* ==== tables ====================================================================================================== */

/* All points, as a table that this program reads. */
static int write_seds(const sed_set *set, const settings *s, char *err) {
    out_file f;
    if (out_begin(&f, s->out, "seds.csv", err)) return -1;
    fprintf(f.f, "source,log10_nu_Hz,log10_nuFnu,err_dex,is_ul,label\n");
    for (int i = 0; i < set->n; i++)
        for (int k = 0; k < set->sed[i].n; k++) {
            const point *p = &set->point[set->sed[i].first + (size_t)k];
            csv_text(f.f, set->sed[i].name);
            fprintf(f.f, ",%.4f,%.4f,%.4f,%d,%s\n", p->nu, p->flux, p->error, p->limit,
                    set->sed[i].label < 0 ? ""
                    : set->sed[i].label   ? "blazar"
                                          : "nonblazar");
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
        if (!w->s->wanted[net]) continue;
        net_name(name, net);
        printf("%-10s %.4f +- %.4f %.4f +- %.4f %.4f  %5.1f %%, %5.1f %% ", name, e[net].auc, e[net].error, e[net].mean,
               e[net].sd, e[net].pr_auc, 100 * c[3] / (c[2] + c[3]), 100 * c[0] / (c[0] + c[1]));
        if (isnan(e[net].gain))
            printf("%21s", "");
        else
            printf("    %+.4f +- %.4f", e[net].gain, e[net].gain_error);
        printf("  %.1f\n", o->seconds[net]);
    }
    if (!w->s->wanted[STACK]) return;
    printf("settings of the stack, by folds within each training part (logistic, forest, boost, net, kernel; 0 to 2):");
    for (int k = 0; k < o->n_run; k++)
        for (int m = 0; m < N_MEMBERS; m++)
            printf("%s%d", m ? "" : " ", o->chosen[k][m]);
    printf("\n");
}

static int write_evaluation(const net_scores *e, const outcome *o, const world *w, char *err) {
    out_file f;
    char name[NAME];
    if (out_begin(&f, w->s->out, "evaluation.csv", err)) return -1;
    fprintf(f.f, "net,auc,auc_error,fold_auc_mean,fold_auc_sd,pr_auc,threshold,true_other,false_blazar,missed_blazar,"
                 "true_blazar,auc_less_forest,its_paired_error,seconds_a_fold\n");
    for (int net = 0; net < N_NETS; net++) {
        const net_scores *n = &e[net];
        if (!w->s->wanted[net]) continue;
        net_name(name, net);
        fprintf(f.f, "%s,%.6g,%.4g,%.6g,%.4g,%.6g,%.6g,%.0f,%.0f,%.0f,%.0f,%.4g,%.4g,%.4g\n", name, n->auc, n->error,
                n->mean, n->sd, n->pr_auc, n->threshold, n->matrix[0], n->matrix[1], n->matrix[2], n->matrix[3],
                n->gain, n->gain_error, o->seconds[net]);
    }
    if (out_commit(&f, err) || out_begin(&f, w->s->out, "folds.csv", err)) return -1;
    fprintf(f.f, "net,fold,auc,validation_loss\n");
    for (int net = 0; net < N_NETS; net++)
        for (int k = 0; k < o->n_run && w->s->wanted[net]; k++) {
            net_name(name, net);
            fprintf(f.f, "%s,%d,%.6g,%.6g\n", name, k, o->fold_auc[net][k], o->val_loss[net][k]);
        }
    if (out_commit(&f, err) || out_begin(&f, w->s->out, "scores.csv", err)) return -1;
    fprintf(f.f, "source,blazar,fold");
    for (int net = 0; net < N_NETS; net++)
        if (w->s->wanted[net]) {
            net_name(name, net);
            fprintf(f.f, ",%s", name);
        }
    fprintf(f.f, "\n");
    for (int i = 0; i < w->set->n; i++) {
        if (o->fold[i] < 0 || o->fold[i] >= o->n_run) continue;
        csv_text(f.f, w->set->sed[i].name);
        fprintf(f.f, ",%d,%d", w->set->sed[i].label, o->fold[i]);
        for (int net = 0; net < N_NETS; net++)
            if (w->s->wanted[net]) fprintf(f.f, ",%.6g", o->score[net][i]);
        fprintf(f.f, "\n");
    }
    return out_commit(&f, err);
}

/* ROC and precision-recall of the test rows together. */
static int write_curves(const outcome *o, const world *w, char *err) {
    const sed_set *set = w->set;
    size_t room = (size_t)set->n + 1;
    double *c = zeroed(5 * room, sizeof *c);
    double *v = c + 4 * room;
    int *y = zeroed(room, sizeof *y);
    char name[NAME];
    out_file f;
    if (out_begin(&f, w->s->out, "curves.csv", err)) return -1;
    fprintf(f.f, "net,threshold,false_positive,true_positive,precision\n");
    int n;
    for (int net = 0; net < N_NETS; net++) {
        if (!w->s->wanted[net]) continue;
        for (int i = n = 0; i < set->n; i++)
            if (!isnan(o->score[net][i])) {
                v[n] = o->score[net][i];
                y[n++] = set->sed[i].label;
            }
        int m = bml_classify_curve(c, c + room, c + 2 * room, c + 3 * room, v, y, NULL, n);
        net_name(name, net);
        for (int i = 0; i < m; i++)
            fprintf(f.f, "%s,%.6g,%.6g,%.6g,%.6g\n", name, c[i], c[room + (size_t)i], c[2 * room + (size_t)i],
                    c[3 * room + (size_t)i]);
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
    if (out_begin(&f, w->s->out, "importance.csv", err)) return -1;
    fprintf(f.f, "log10_nu_Hz,importance,complete_others,complete_blazars\n");
    for (int b = 0; b < SMALL_BINS; b++)
        fprintf(f.f, "%.2f,%.5g,%.4f,%.4f\n", bin_nu(w, b), m->share[b], m->complete[0][b], m->complete[1][b]);
    printf("most important frequencies, log10 Hz:");
    for (int b = 0; b < m->n_top; b++)
        printf(" %.2f", bin_nu(w, m->top[b]));
    if (m->ratio[0] == m->ratio[1])
        printf("\nbest single number among them: the flux at %.2f", bin_nu(w, m->ratio[0]));
    else
        printf("\nbest single number among them: the flux ratio of %.2f to %.2f", bin_nu(w, m->ratio[0]),
               bin_nu(w, m->ratio[1]));
    printf(", AUC %.4f (chosen on training rows, mean over folds)\n", m->ratio_auc);
    return out_commit(&f, err);
}

/* predictions.csv: sources without a label, by the mean of the folds' models. */
static int write_predictions(const outcome *o, const net_scores *e, const world *w, char *err) {
    int called = 0;
    char name[NAME];
    if (!w->n_judge || o->kept_net < 0) return 0;
    double threshold = e[o->kept_net].threshold;
    net_name(name, o->kept_net);
    out_file f;
    if (out_begin(&f, w->s->out, "predictions.csv", err)) return -1;
    fprintf(f.f, "source,points,p_blazar,sd,verdict\n");
    for (int i = 0; i < w->n_judge; i++) {
        double mean;
        double sd;
        bml_classify_mean_sd(&mean, &sd, o->judged + (size_t)i * (size_t)o->n_run, o->n_run);
        int k = mean >= threshold;
        called += k;
        csv_text(f.f, w->set->sed[w->judge[i]].name);
        fprintf(f.f, ",%d,%.5f,%.5f,%s\n", w->set->sed[w->judge[i]].n, mean, sd, k ? "blazar" : "nonblazar");
    }
    printf("%d sources judged by the %s net: %d blazars at p >= %.3f\n", w->n_judge, name, called, threshold);
    return out_commit(&f, err);
}

static int write_run(const net_scores *e, const world *w, const option_row *rows, double seconds, char *err) {
    run_entry results[N_NETS + 2];
    static const char *const auc[N_NETS] = {"auc_radio", "auc_forest", "auc_stack",
                                            "auc_small", "auc_points", "auc_published"};
    run_info info = {"classify_blazar", rows, w->s->input, w->s->seed, seconds, results};
    int n = 0;
    memset(results, 0, sizeof results);
    results[n].name = "sources";
    results[n++].number = w->set->n;
    for (int net = 0; net < N_NETS; net++)
        if (w->s->wanted[net]) {
            results[n].name = auc[net];
            results[n++].number = e[net].auc;
        }
    return run_write(w->s->out, &info, err);
}

/* ==== pictures ==================================================================================================== */

static const char *const colour[N_NETS] = {"#999999", "#0072B2", "#CC79A7", "#D55E00", "#009E73", "#E69F00"};

static int draw_curves(const world *w, char *err) {
    char name[NAME];
    out_file o;
    if (plot_begin(&o, w->s->out, "curves", 1200, 560, 14, err)) return -1;
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
            if (!w->s->wanted[net]) continue;
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
    if (plot_begin(&o, w->s->out, "importance", 1100, 560, 14, err)) return -1;
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
    if (plot_begin(&o, w->s->out, "examples", 1300, 700, 12, err)) return -1;
    fprintf(o.f,
            "set multiplot layout 2,3\nunset key\nset grid lc rgb '#dddddd'\nset xrange [7:27.6]\nset yrange [-18:-9]\n"
            "set xlabel 'log_{10} frequency [Hz]'\nset ylabel 'log_{10} nuFnu [erg cm^{-2} s^{-1}]'\n");
    for (int label = 1; label >= 0; label--)
        for (int i = 0; i < set->n && shown[label] < 3; i++) {
            const sed *s = &set->sed[i];
            if (s->label != label) continue;
            for (int limit = 0; limit < 2; limit++) {
                fprintf(o.f, "$d%d << EOD\n1e9 1e9 0\n", limit);
                for (int k = 0; k < s->n; k++) {
                    const point *p = &set->point[s->first + (size_t)k];
                    if (p->limit == limit) fprintf(o.f, "%.4f %.4f %.4f\n", p->nu, p->flux, p->error);
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
    fprintf(o.f, "unset multiplot\n");
    return plot_end(&o, w->s->out, "examples", err);
}

static void draw(const world *w, int explained) {
    char err[ERROR_SIZE];
    int status = draw_curves(w, err);
    int missing = status;
    if (status >= 0 && (status = draw_examples(w, err)) >= 0 && explained) status = draw_importance(w, err);
    if (status < 0) fail("%s", err);
    if (missing) printf("no gnuplot here: the pictures are left as scripts, %s/*.gp\n", w->s->out);
}
#endif
