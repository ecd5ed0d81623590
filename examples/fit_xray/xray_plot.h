/* xray_plot.h: pictures of X-ray spectra and of what networks make of them: what fit_xray draws beside the corner plots
   of common.h. Each function writes DIR/NAME.gp and, with gnuplot, DIR/NAME.png, and returns 0, or -1 with err.
   Public domain or MIT, see LICENSE. */
#ifndef XRAY_PLOT_H
#define XRAY_PLOT_H
#include "common.h"
#include "xray.h"

/* ==== data and model ============================================================================================== */

typedef struct xray_spectra {
    const xray_data *data; /* [n_data] */
    int n_data;
    int statistic;
    int n_models;
    const double *const *model; /* [n_models] counts of all bins of all spectra; residuals are those of the first */
    const char *const *name;    /* [n_models] */
    const double *band;         /* [2] keV */
} xray_spectra;

static const char *const xray_overlay_colour[] = {"#0072B2", "#009E73", "#E69F00", "#D55E00", "#CC79A7"};

/* One spectrum's block: energy, its edges, counts/s/keV with errors, (data - model)/error, models; `first` is the
   number of its first bin among all. */
static inline void xray_plot_block(FILE *f, const xray_spectra *p, int number, int first) {
    const xray_data *d = &p->data[number];
    fprintf(f, "$d%d << EOD\n", number);
    for (int b = 0; b < d->n; b++) {
        double width = d->e_hi[b] - d->e_lo[b];
        double scale = 1 / (width * d->exposure);
        double back = 0;
        double model = p->model[0][first + b];
        if (d->background && p->statistic != XRAY_C) {
            back = d->ratio[b] * d->background[b];
        }
        double sd =
            p->statistic == XRAY_CHI2 ? sqrt(d->variance[b]) : sqrt(fmax(model + back * (1 + d->ratio[b]), 1e-30));
        double off = d->counts[b] - back;
        fprintf(f, "%.6g %.6g %.6g %.6g %.6g %.6g", sqrt(fmax(d->e_lo[b], 1e-3) * d->e_hi[b]), d->e_lo[b], d->e_hi[b],
                off * scale, sqrt(fmax(d->counts[b], 1)) * scale, (off - model) / sd);
        for (int m = 0; m < p->n_models; m++)
            fprintf(f, " %.6g", p->model[m][first + b] * scale);
        fprintf(f, "\n");
    }
    fprintf(f, "EOD\n");
}

static inline const char *xray_plot_colour(int i) {
    return i ? plot_colours[i % 7] : "#0072B2";
}

/* The smallest positive rate [counts/s/keV] of the data, a bin without counts as one, and of the first model, where it
   is not 0. */
static inline double xray_plot_least(const xray_spectra *p) {
    const double *m = p->model[0];
    double least = 1e300;
    for (int i = 0; i < p->n_data; m += p->data[i++].n)
        for (int b = 0; b < p->data[i].n; b++) {
            const xray_data *d = &p->data[i];
            double counts = fmax(d->counts[b], 1);
            double width = d->e_hi[b] - d->e_lo[b];
            if (m[b] > 0) {
                counts = fmin(counts, m[b]);
            }
            double rate = counts / (d->exposure * width);
            least = fmin(least, rate);
        }
    return least;
}

/* Is there a count? An axis of logarithms finds no range of its own without one. */
static inline int xray_plot_counted(const xray_spectra *p) {
    for (int i = 0; i < p->n_data; i++)
        for (int b = 0; b < p->data[i].n; b++)
            if (p->data[i].counts[b] > 0) {
                return 1;
            }
    return 0;
}

/* DIR/spectrum.png: data with the models in the same units, residuals of the first model below. */
static inline int xray_plot_spectrum(const char *dir, const xray_spectra *p, char *err) {
    out_file o;
    if (plot_begin(&o, dir, "spectrum", 1000, 760, 14, err)) {
        return -1;
    }
    for (int i = 0, first = 0; i < p->n_data; first += p->data[i++].n)
        xray_plot_block(o.f, p, i, first);
    double least = 0.5 * xray_plot_least(p);
    char most[32] = "*";
    if (!xray_plot_counted(p)) {
        snprintf(most, sizeof most, "%.3g", 100 * least);
    }
    fprintf(o.f,
            "set multiplot; set logscale x; set lmargin 11; set rmargin 3; set xrange [%.5g:%.5g] noextend\n"
            "set tics scale 0.6; set bmargin at screen 0.36; set tmargin at screen 0.96; set format x ''\n"
            "set logscale y; set yrange [%.3g:%s]; set format y '10^{%%T}'; set ylabel 'counts / (s keV)'\n"
            "set key top right; set xtics (0.2,0.3,0.5,0.7,1,2,3,5,7,10,20,50)\nplot ",
            fmax(p->band[0] * 0.95, 1e-3), p->band[1] * 1.05, least, most);
    for (int i = 0; i < p->n_data; i++) {
        const char *colour = p->n_models > 1 ? "#777777" : xray_plot_colour(i);
        fprintf(o.f, "%s$d%d using 1:4:2:3:($4-$5):($4+$5) with xyerrorbars pt 0 lw 1.2 lc rgb '%s' title 'data",
                i ? ", " : "", i, colour);
        if (p->n_data > 1) {
            fprintf(o.f, " %d", i + 1);
        }
        fprintf(o.f, "'");
        for (int m = 0; m < p->n_models; m++)
            fprintf(o.f, ", $d%d using 1:%d with histeps lw 1.8 lc rgb '%s' title '%s'", i, 7 + m,
                    p->n_models > 1 ? xray_overlay_colour[m % 5]
                    : i             ? colour
                                    : "#D55E00",
                    p->name[m]);
    }
    fprintf(o.f,
            "\nset bmargin at screen 0.10; set tmargin at screen 0.34; unset logscale y; set format y '%%g'\n"
            "unset key; set format x '%%g'; set xlabel 'energy [keV]'; set ylabel '(data - %s)/error'\n"
            "set yrange [*:*]; set arrow from graph 0, first 0 to graph 1, first 0 nohead lc rgb '#888888'\nplot ",
            p->name[0]);
    for (int i = 0; i < p->n_data; i++)
        fprintf(o.f, "%s$d%d using 1:6:2:3:($6-1):($6+1) with xyerrorbars pt 0 lw 1.2 lc rgb '%s'", i ? ", " : "", i,
                p->n_models > 1 ? "#777777" : xray_plot_colour(i));
    fprintf(o.f, "\nunset multiplot\n");
    return plot_end(&o, dir, "spectrum", err) < 0 ? -1 : 0;
}

/* ==== profiles over one parameter or two ========================================================================== */

/* DIR/steppar.png of table[n[0] n[1]][4]: both parameters, statistic, its rise. One axis: a curve, levels of 68.3
   and 90 %; two: contours of 68.3, 90 and 99 % for two parameters (rises of 2.30, 4.61 and 9.21). best [2]. */
static inline int xray_plot_steppar(const char *dir, const double *table, const int *n, int axes, const char *x,
                                    const char *y, const double *best, char *err) {
    out_file o;
    if (plot_begin(&o, dir, "steppar", 820, 700, 14, err)) {
        return -1;
    }
    fprintf(o.f, "$s << EOD\n");
    for (int i = 0; i < n[0]; i++) {
        for (int j = 0; j < n[1]; j++) {
            const double *row = table + 4 * (i * n[1] + j);
            fprintf(o.f, "%.9g %.9g %.6g\n", row[0], row[1], row[3]);
        }
        if (axes == 2) {
            fprintf(o.f, "\n");
        }
    }
    fprintf(o.f, "EOD\nset xlabel '%s' noenhanced; set tics scale 0.6; set key top right\n", x);
    if (axes == 1) {
        fprintf(o.f,
                "set ylabel 'rise of the statistic'; set yrange [0:*]\n"
                "plot $s using 1:3 with lines lw 2 lc rgb '#0072B2' notitle, 1 with lines dt 2 lc rgb '#888888' title "
                "'68.3 %%', 2.706 with lines dt 3 lc rgb '#888888' title '90 %%'\n");
    } else {
        fprintf(
            o.f,
            "set ylabel '%s' noenhanced; set contour base; unset surface; set cntrparam cubicspline\n"
            "set table $c; set cntrparam levels discrete 2.30; splot $s using 1:2:3; unset table\n"
            "set table $d; set cntrparam levels discrete 4.61; splot $s using 1:2:3; unset table\n"
            "set table $e; set cntrparam levels discrete 9.21; splot $s using 1:2:3; unset table\n"
            "plot $c using 1:2 with lines lw 2 lc rgb '#D55E00' title '68.3 %%', $d using 1:2 with lines lw 2 lc rgb "
            "'#0072B2' title '90 %%', $e using 1:2 with lines lw 2 lc rgb '#009E73' title '99 %%', "
            "'+' using (%.9g):(%.9g) every 1::0::0 with points pt 1 ps 2 lw 2 lc rgb '#000000' title 'best'\n",
            y, best[0], best[1]);
    }
    return plot_end(&o, dir, "steppar", err) < 0 ? -1 : 0;
}

/* ==== several posteriors in one corner plot ======================================================================= */

typedef struct xray_overlay {
    int n_sets;
    int d;
    long n;                   /* draws of each */
    const char *const *name;  /* [n_sets] */
    double *const *theta;     /* [n_sets] each [n][d], equally weighted */
    const char *const *label; /* [d] */
} xray_overlay;

/* One panel: histograms on the diagonal, 50 % and 90 % contours below it. */
static inline void xray_overlay_panel(FILE *f, const xray_overlay *p, const plot_axis *axes, int row, int column) {
    double left = 0.1;
    double bottom = 0.09;
    double size = 0.88 / p->d;
    const plot_axis *x = &axes[column];
    const plot_axis *y = &axes[row];
    fprintf(f, "set lmargin at screen %.4f; set rmargin at screen %.4f\n", left + column * size,
            left + (column + 0.94) * size);
    fprintf(f, "set bmargin at screen %.4f; set tmargin at screen %.4f\n", bottom + (p->d - 1 - row) * size,
            bottom + (p->d - row - 0.06) * size);
    fprintf(f, "unset xlabel; unset ylabel; set xrange [%.8g:%.8g]\n", x->lo, x->hi);
    plot_ticks(f, "x", x->lo, x->hi);
    fprintf(f, "set format x '%s'\n", row == p->d - 1 ? "%g" : "");
    if (row == p->d - 1) {
        fprintf(f, "set xlabel '%s' noenhanced\n", p->label[column]);
    }
    if (row == column) {
        fprintf(f, "unset ytics; set yrange [0:1.15]\n");
    } else {
        fprintf(f, "set yrange [%.8g:%.8g]\n", y->lo, y->hi);
        plot_ticks(f, "y", y->lo, y->hi);
        fprintf(f, "set format y '%s'\n", column == 0 ? "%g" : "");
        if (column == 0) {
            fprintf(f, "set ylabel '%s' noenhanced\n", p->label[row]);
        }
    }
    for (int c = 0; c < p->n_sets; c++) {
        fprintf(f, c ? ", $" : "plot $");
        if (row == column) {
            fprintf(f, "h%d_%d", c, column);
        } else {
            fprintf(f, "g%dc_%d_%d", c, row, column);
        }
        fprintf(f, " using 1:2 with lines lw 1.6 lc rgb '%s'", xray_overlay_colour[c]);
    }
    fprintf(f, "\n");
}

/* DIR/corner.png with all posteriors in it; nothing for more than PLOT_DIM_MAX parameters. */
static inline int xray_plot_overlay(const char *dir, const xray_overlay *p, char *err) {
    plot_axis axes[PLOT_DIM_MAX];
    const double *last = p->theta[p->n_sets - 2];
    plot_corner all = {.n_dim = p->d, .chain = {NULL, p->theta[0], p->n}, .second = {NULL, last, p->n}};
    char block[16];
    if (p->d > PLOT_DIM_MAX || plot_axes(axes, &all)) {
        return 0;
    }
    out_file o;
    if (plot_begin(&o, dir, "corner", 220 * p->d + 60, 220 * p->d + 40, 13, err)) {
        return -1;
    }
    fprintf(o.f, "set contour base; unset surface; unset key; unset colorbox\n");
    for (int c = 0; c < p->n_sets; c++) {
        plot_chain chain = {NULL, p->theta[c], p->n};
        for (int row = 0; row < p->d; row++) {
            snprintf(block, sizeof block, "h%d", c);
            plot_histogram(o.f, block, &chain, row, p->d, &axes[row]);
            snprintf(block, sizeof block, "g%d", c);
            for (int column = 0; column < row; column++)
                plot_pair(o.f, block, &chain, column, row, p->d, axes);
        }
    }
    fprintf(o.f, "unset contour; set surface; set tics front scale 0.6\nset multiplot\n");
    for (int c = 0; c < p->n_sets; c++)
        fprintf(o.f, "set label %d '%s' at screen 0.96,%.3f right tc rgb '%s' font ',16'\n", c + 1, p->name[c],
                0.95 - 0.03 * c, xray_overlay_colour[c]);
    for (int row = 0; row < p->d; row++)
        for (int column = 0; column <= row; column++) {
            xray_overlay_panel(o.f, p, axes, row, column);
            if (row == 0) {
                fprintf(o.f, "unset label\n");
            }
        }
    fprintf(o.f, "unset multiplot\n");
    return plot_end(&o, dir, "corner", err) < 0 ? -1 : 0;
}

/* ==== networks ==================================================================================================== */

/* DIR/history.png: loss and validation loss of history[epochs][4], rows of epoch, loss, validation loss, seconds. The
   published nets' mean squared errors are shown in the logarithm; a mixture's loss may be negative. */
static inline int xray_plot_history(const char *dir, const double *history, long epochs, int logarithm, char *err) {
    out_file o;
    if (plot_begin(&o, dir, "history", 800, 520, 14, err)) {
        return -1;
    }
    fprintf(o.f, "$h << EOD\n");
    for (long i = 0; i < epochs; i++) {
        const double *row = history + 4 * i;
        fprintf(o.f, "%.0f %.6g %.6g\n", row[0], row[1], row[2]);
    }
    fprintf(o.f,
            "EOD\n%sset xlabel 'epoch'; set ylabel '%s'; set key top right; set tics scale 0.6\n"
            "plot $h using 1:2 with lines lw 2 lc rgb '#0072B2' title 'training', "
            "$h using 1:3 with lines lw 2 lc rgb '#D55E00' title 'validation'\n",
            logarithm ? "set logscale y; set format y '10^{%T}'; " : "",
            logarithm ? "mean squared error" : "mean of -ln q");
    return plot_end(&o, dir, "history", err) < 0 ? -1 : 0;
}

typedef struct xray_recovered {
    int d;
    int n_ways;
    long n;                   /* spectra */
    const char *const *label; /* [d] */
    const char *const *way;   /* [n_ways] such as "network" */
    const double *value;      /* [n][1 + n_ways][d] on the scale 0...1 of the prior: the truth, then each way's */
} xray_recovered;

/* Straight line y = a + b x through the recovered values of parameter k. */
static inline void xray_regression(double *a, double *b, const xray_recovered *r, int way, int k) {
    double x = 0;
    double y = 0;
    double xx = 0;
    double xy = 0;
    double n = (double)r->n;
    for (long i = 0; i < r->n; i++) {
        const double *row = r->value + i * (1 + r->n_ways) * r->d;
        double u = row[k];
        double v = row[(1 + way) * r->d + k];
        x += u / n;
        y += v / n;
        xx += u * u / n;
        xy += u * v / n;
    }
    *b = (xy - x * y) / (xx - x * x);
    *a = y - *b * x;
}

/* DIR/recovered.png: a row of panels for each way, a column for each parameter, recovered over true value, with the
   line through them (full) and the diagonal (dashed). */
static inline int xray_plot_recovered(const char *dir, const xray_recovered *r, char *err) {
    out_file o;
    int width = 240 * r->d + 90;
    int height = 240 * r->n_ways + 70; /* pixels */
    if (plot_begin(&o, dir, "recovered", width, height, 12, err)) {
        return -1;
    }
    fprintf(o.f, "$r << EOD\n");
    for (long i = 0; i < r->n; i++)
        for (int j = 0; j < (1 + r->n_ways) * r->d; j++)
            fprintf(o.f, "%.4f%c", r->value[i * (1 + r->n_ways) * r->d + j],
                    j + 1 < (1 + r->n_ways) * r->d ? ' ' : '\n');
    fprintf(o.f, "EOD\nset multiplot; unset key; set tics scale 0.5; set xrange [0:1]; set yrange [-0.05:1.05]\n"
                 "set xtics 0.25; set ytics 0.25\n");
    for (int way = 0; way < r->n_ways; way++)
        for (int k = 0; k < r->d; k++) {
            double a;
            double b;
            double left = (95.0 + 240 * k) / width;
            double bottom = (75.0 + 240 * (r->n_ways - 1 - way)) / height;
            xray_regression(&a, &b, r, way, k);
            fprintf(o.f, "set lmargin at screen %.4f; set rmargin at screen %.4f\n", left, left + 215.0 / width);
            fprintf(o.f, "set bmargin at screen %.4f; set tmargin at screen %.4f\n", bottom, bottom + 215.0 / height);
            fprintf(o.f, "set format x '%s'; set format y '%s'\n", way + 1 < r->n_ways ? "" : "%g", k ? "" : "%g");
            fprintf(o.f, "set xlabel '%s' noenhanced; set ylabel '%s'\n", way + 1 < r->n_ways ? "" : r->label[k],
                    k ? "" : r->way[way]);
            fprintf(o.f, "set label 1 '%.3f + %.3f x' at graph 0.05,0.93\n", a, b);
            fprintf(
                o.f,
                "plot $r using %d:%d with points pt 7 ps 0.35 lc rgb '#0072B2', x with lines dt 2 lc rgb '#888888', "
                "%.6g + %.6g*x with lines lw 2 lc rgb '#D55E00'\n",
                1 + k, 1 + (1 + way) * r->d + k, a, b);
        }
    fprintf(o.f, "unset multiplot\n");
    return plot_end(&o, dir, "recovered", err) < 0 ? -1 : 0;
}
#endif
