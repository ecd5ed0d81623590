/* sed_plot.h: the picture of a SED: data with their errors, an instrument each a colour and a shape; upper limits as
   arrows; the model as its 50 % and 90 % bands, the best line, its components dashed; and, under it, how far the data
   lie from the model. Include common.h and sed.h first. Public domain or MIT, see LICENSE. */
#ifndef SED_PLOT_H
#define SED_PLOT_H
#include "sed.h"

/* What is NULL is left out. */
typedef struct sed_picture {
    const char *title; /* NULL: the table's source */
    const sed_table *data;
    int n_nu;
    const double *nu;          /* [n_nu] [Hz], ascending */
    const double *best;        /* [n_nu] nuFnu [erg cm^-2 s^-1] */
    const double *lo50, *hi50; /* [n_nu] */
    const double *lo90, *hi90; /* [n_nu] */
    int n_components;          /* up to 6 */
    const char *const *component_name;
    const double *const *component; /* [n_components][n_nu] */
    const double *pull;             /* [data->n] (data - model)/error; NaN for limits; NULL: no second panel */
    const char *remark;             /* stands in the corner; NULL: nothing */
} sed_picture;

typedef struct sed_frame {
    double nu_lo, nu_hi, flux_lo, flux_hi;
} sed_frame;

/* Room for all data; to the sides as far as the model stays in sight, at most four decades beyond the data. */
static inline sed_frame sed_frame_of(const sed_picture *p) {
    const sed_table *t = p->data;
    sed_frame f = {HUGE_VAL, 0, HUGE_VAL, 0};
    for (int i = 0; i < t->n; i++) {
        const bml_ssc_point *q = &t->point[i];
        f.nu_lo = fmin(f.nu_lo, q->nu);
        f.nu_hi = fmax(f.nu_hi, q->nu);
        f.flux_lo = fmin(f.flux_lo, q->upper_limit ? q->nuFnu / 4 : q->nuFnu * pow(10, -fmin(q->sigma_lo, 1.5)));
        f.flux_hi = fmax(f.flux_hi, q->upper_limit ? q->nuFnu : q->nuFnu * pow(10, fmin(q->sigma_hi, 1.5)));
    }
    f.flux_lo = fmax(f.flux_lo / 3, f.flux_hi * 1e-12);
    f.flux_hi *= 3;
    double data_lo = f.nu_lo;
    double data_hi = f.nu_hi;
    for (int i = 0; p->best && i < p->n_nu; i++) {
        if (!(p->best[i] > f.flux_lo) || p->nu[i] < data_lo * 1e-4 || p->nu[i] > data_hi * 1e4) {
            continue;
        }
        f.nu_lo = fmin(f.nu_lo, p->nu[i]);
        f.nu_hi = fmax(f.nu_hi, p->nu[i]);
        f.flux_hi = fmax(f.flux_hi, 2 * p->best[i]);
    }
    f.nu_lo /= 3;
    f.nu_hi *= 3;
    return f;
}

/* The curves as one data block: nu best lo50 hi50 lo90 hi90 components; what is missing or below sight is 1e-99. */
static inline void sed_draw_model(FILE *f, const sed_picture *p) {
    const double *column[11];
    int n = 0;
    column[n++] = p->best;
    column[n++] = p->lo50;
    column[n++] = p->hi50;
    column[n++] = p->lo90;
    column[n++] = p->hi90;
    for (int k = 0; k < p->n_components && k < 6; k++)
        column[n++] = p->component[k];
    fprintf(f, "$model << EOD\n");
    for (int i = 0; i < p->n_nu; i++) {
        fprintf(f, "%.7g", p->nu[i]);
        for (int k = 0; k < n; k++)
            fprintf(f, " %.5g", column[k] && column[k][i] > 1e-99 ? column[k][i] : 1e-99);
        fprintf(f, "\n");
    }
    fprintf(f, "EOD\n");
}

/* Whether point i is drawn like point `like`: the same instrument; -1 stands for all. */
static inline int sed_alike(const sed_table *t, int i, int like) {
    return like < 0 || !strcmp(t->instrument[i], t->instrument[like]);
}

/* Finds the first point of each instrument. Returns their number; with more than max, all are drawn as one. */
static inline int sed_instruments(int *first, int max, const sed_table *t) {
    int n = 0;
    int k;
    for (int i = 0; i < t->n; i++) {
        for (k = 0; k < n && !sed_alike(t, i, first[k]); k++)
            continue;
        if (k < n) {
            continue;
        }
        if (n == max) {
            first[0] = -1;
            return 1;
        }
        first[n++] = i;
    }
    return n;
}

static inline int sed_has(const sed_table *t, int like, int limits) {
    for (int i = 0; i < t->n; i++)
        if (!!t->point[i].upper_limit == limits && sed_alike(t, i, like)) {
            return 1;
        }
    return 0;
}

/* One line of a data block: nu, flux, ends of the error, ends of the bin, pull. */
static inline void sed_draw_point(FILE *f, const sed_picture *p, int i) {
    const bml_ssc_point *q = &p->data->point[i];
    const double *bin = p->data->bin[i];
    const double lo = q->upper_limit ? q->nuFnu : q->nuFnu * pow(10, -q->sigma_lo);
    const double hi = q->upper_limit ? q->nuFnu : q->nuFnu * pow(10, q->sigma_hi);
    fprintf(f, "%.7g %.5g %.5g %.5g %.7g %.7g ", q->nu, q->nuFnu, lo, hi, bin[0], bin[1]);
    if (p->pull && isfinite(p->pull[i])) {
        fprintf(f, "%.4g\n", p->pull[i]);
    } else {
        fprintf(f, "NaN\n");
    }
}

/* A data block of each instrument's detections and one of its limits. */
static inline void sed_draw_data(FILE *f, const sed_picture *p, const int *first, int n) {
    const sed_table *t = p->data;
    for (int k = 0; k < n; k++)
        for (int limits = 0; limits < 2; limits++) {
            fprintf(f, "$%s_%d << EOD\n", limits ? "limits" : "points", k);
            for (int i = 0; i < t->n; i++)
                if (!!t->point[i].upper_limit == limits && sed_alike(t, i, first[k])) {
                    sed_draw_point(f, p, i);
                }
            fprintf(f, "EOD\n");
        }
}

/* A tick at every decade from lo to hi, a label at those that step divides. */
static inline void sed_draw_decades(FILE *f, const char *axis, double lo, double hi, int step) {
    int first = (int)ceil(log10(lo));
    int last = (int)floor(log10(hi));
    fprintf(f, "set %stics (", axis);
    for (int d = first; d <= last; d++) {
        if (d > first) {
            fprintf(f, ", ");
        }
        if (d % step) {
            fprintf(f, "'' 1e%d 1", d);
        } else {
            fprintf(f, "'10^{%d}' 1e%d", d, d);
        }
    }
    fprintf(f, ")\n");
}

/* How many decades lie from one label to the next. */
static inline int sed_label_step(double decades) {
    if (decades > 24) {
        return 4;
    }
    return decades > 8 ? 2 : 1;
}

/* The key's letters: smaller ones where it would else need a second column. */
static inline int sed_key_font(int rows) {
    if (rows <= 16) {
        return 18;
    }
    return rows >= 32 ? 9 : 288 / rows;
}

/* rows: of the key. */
static inline void sed_draw_axes(FILE *f, const sed_frame *a, int panels, int rows) {
    double decades = log10(a->nu_hi / a->nu_lo);
    int step = sed_label_step(decades);
    fprintf(f, "set logscale xyx2\nset xrange [%.5g:%.5g]\nset yrange [%.5g:%.5g]\nset x2range [%.5g:%.5g]\n", a->nu_lo,
            a->nu_hi, a->flux_lo, a->flux_hi, a->nu_lo * SED_EV, a->nu_hi * SED_EV);
    sed_draw_decades(f, "x", a->nu_lo, a->nu_hi, step);
    sed_draw_decades(f, "x2", a->nu_lo * SED_EV, a->nu_hi * SED_EV, step);
    fprintf(f, "set xtics nomirror\nset format y '10^{%%L}'\n");
    if (panels == 1) {
        fprintf(f, "set xlabel 'Frequency  {/Symbol n}  [Hz]'\n");
    }
    if (panels == 2) {
        fprintf(f, "set xtics textcolor rgb '#ffffff00'\n"); /* they stand under the other panel */
    }
    fprintf(f, "set x2label 'Energy  [eV]'\n"
               "set ylabel '{/Symbol n} {/:Italic F}_{/Symbol n}  [erg cm^{-2} s^{-1}]'\n");
    fprintf(f, "set tics out scale 1,0.5\nset border lw 1.3\nset grid xtics ytics lc rgb '#e8e8e8' lw 1\n");
    fprintf(
        f,
        "set key at screen 0.785,0.94 left top vertical Left reverse noenhanced samplen 1.6 spacing 1.15 maxrows 60 "
        "font ',%d'\n",
        sed_key_font(rows));
    fprintf(f, "set errorbars 0\nset style fill solid noborder\n");
    fprintf(f, "set lmargin at screen 0.085\nset rmargin at screen 0.775\nset tmargin at screen 0.875\n");
    fprintf(f, "set bmargin at screen %s\n", panels == 1 ? "0.1" : "0.36");
}

/* The second panel: pulls, with lines at 0 and +-3. */
static inline void sed_draw_pulls(FILE *f, const sed_picture *p, int n) {
    static const int shapes[] = {7, 5, 9, 13, 11, 15};
    const int n_colours = (int)(sizeof plot_colours / sizeof *plot_colours);
    double reach = 4;
    for (int i = 0; i < p->data->n; i++)
        if (fabs(p->pull[i]) > reach) {
            reach = fabs(p->pull[i]);
        }
    fprintf(f, "unset title\nunset key\nunset x2label\nunset x2tics\nunset label\nunset logscale y\n");
    fprintf(f, "set xtics mirror textcolor rgb '#000000'\n");
    fprintf(f, "set tmargin at screen 0.335\nset bmargin at screen 0.1\nset yrange [%.4g:%.4g]\n", -1.1 * reach,
            1.1 * reach);
    fprintf(f, "set format y '%%g'\nset ytics autofreq\nset xlabel 'Frequency  {/Symbol n}  [Hz]'\n");
    fprintf(f, "set ylabel '(data - best)/error'\nplot 0 with lines lw 1.6 lc rgb '#20303c', "
               "3 with lines dt 2 lw 1.2 lc rgb '#888888', -3 with lines dt 2 lw 1.2 lc rgb '#888888'");
    for (int k = 0; k < n; k++)
        fprintf(f, ", \\\n$points_%d using 1:7:(1) with yerrorbars pt %d ps 1.4 lw 1.5 lc rgb '%s'", k, shapes[k % 6],
                plot_colours[k % n_colours]);
    fprintf(f, "\n");
}

/* The best line is wide and lies under the components: dashes stay in sight where one of them is nearly all of it. */
static inline void sed_draw_curves(FILE *f, const sed_picture *p) {
    static const char *const colours[] = {"#56B4E9", "#E69F00", "#00B386", "#E377C2", "#E8554E", "#9AA7B0"};
    if (p->lo90 && p->hi90) {
        fprintf(f, "$model using 1:5:6 with filledcurves lc rgb '#dbe4ec' title '90 %%', \\\n");
    }
    if (p->lo50 && p->hi50) {
        fprintf(f, "$model using 1:3:4 with filledcurves lc rgb '#a9bccd' title '50 %%', \\\n");
    }
    if (p->best) {
        fprintf(f, "$model using 1:2 with lines lw 7 lc rgb '#20303c' title 'best', \\\n");
    }
    for (int k = 0; k < p->n_components && k < 6; k++) {
        fprintf(f, "$model using 1:%d with lines lw 3.4 dt (12,7) lc rgb '%s' title ", 7 + k, colours[k]);
        plot_text(f, p->component_name[k]);
        fprintf(f, ", \\\n");
    }
}

static inline void sed_draw_points(FILE *f, const sed_table *t, const int *first, int n) {
    static const int shapes[] = {7, 5, 9, 13, 11, 15};
    int n_colours = (int)(sizeof plot_colours / sizeof *plot_colours);
    for (int k = 0; k < n; k++) {
        const char *name = first[k] < 0 ? "" : t->instrument[first[k]];
        const char *colour = plot_colours[k % n_colours];
        int detections = sed_has(t, first[k], 0);
        if (detections) {
            fprintf(f, "$points_%d using 1:2:5:6:3:4 with xyerrorbars pt %d ps 1.5 lw 1.8 lc rgb '%s' title ", k,
                    shapes[k % 6], colour);
            plot_text(f, *name ? name : "data");
            fprintf(f, ", \\\n");
        }
        if (!sed_has(t, first[k], 1)) {
            continue;
        }
        fprintf(f,
                "$limits_%d using 1:2:(0):(-0.62*$2) with vectors head filled size screen 0.008,22 lw 1.8 lc rgb '%s' "
                "notitle, \\\n",
                k, colour);
        fprintf(f,
                "$limits_%d using ($5<$1 ? $5 : $1/1.6):2:($5<$1 ? $6-$5 : 0.975*$1):(0) with vectors nohead lw 1.8 "
                "lc rgb '%s' ",
                k, colour);
        if (detections) {
            fprintf(f, "notitle, \\\n");
        } else {
            fprintf(f, "title ");
            plot_text(f, *name ? name : "limits");
            fprintf(f, ", \\\n");
        }
    }
}

/* Draws DIR/NAME.png (and .gp). Returns 0, 1 without gnuplot (the script is left), -1 on failure. */
static inline int sed_picture_write(const sed_picture *p, const char *dir, const char *name, char *err) {
    int first[30];
    int n = sed_instruments(first, 30, p->data);
    const int panels = p->pull ? 2 : 1;
    sed_frame frame = sed_frame_of(p);
    out_file o;
    if (plot_begin(&o, dir, name, 1700, panels == 1 ? 1000 : 1250, n > 20 ? 15 : 18, err)) {
        return -1;
    }
    sed_draw_model(o.f, p);
    sed_draw_data(o.f, p, first, n);
    if (panels == 2) {
        fprintf(o.f, "set multiplot\n");
    }
    sed_draw_axes(o.f, &frame, panels, n + p->n_components + 3);
    fprintf(o.f, "set title ");
    plot_text(o.f, p->title ? p->title : p->data->source);
    fprintf(o.f, " noenhanced font ',20'\n");
    if (p->remark) {
        fprintf(o.f, "set label 9 ");
        plot_text(o.f, p->remark);
        fprintf(o.f, " at graph 0.015,0.03 left front noenhanced tc rgb '#a02020'\n");
    }
    fprintf(o.f, "plot \\\n");
    sed_draw_curves(o.f, p);
    sed_draw_points(o.f, p->data, first, n);
    fprintf(o.f, "1/0 notitle\n");
    if (panels == 2) {
        sed_draw_pulls(o.f, p, n);
        fprintf(o.f, "unset multiplot\n");
    }
    return plot_end(&o, dir, name, err);
}
#endif
