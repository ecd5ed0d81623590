/* lesson.h: how a lesson draws, so that its C is the idea only. A picture has panels, a panel curves, a curve points:

       picture("fall", 1, 1);                         the file's name; rows and columns of panels
       panel("time [s]", "height [m]");
       curve(LINE, "thrown up at 5 m/s");             the words of the key; "" for none
       for (double t = 0; t < 1; t += 0.01)
           point(t, 5 * t - 4.9 * t * t);
       show();                                        fall.gp, fall.png and fall.pdf in the folder where it runs

   gap() breaks a curve. set("logscale xy") is gnuplot's own command of that name, for the panel begun last.
   must(bml_ssc_create(&tables, NULL, WHY)) ends the program with the reason when a call of a bml header has failed.
   Colours, dashes and symbols follow each other, so that curves can be told apart in grey and by all eyes. Text takes
   gnuplot's markup: x_1, 10^{-3}, {/Symbol g}. Include it first. It keeps the one picture in progress in static variables: for lessons, not for programs. */
#ifndef LESSON_H
#define LESSON_H

#include "../common/common.h"

typedef enum curve_kind {
    LINE,
    THIN,   /* line, thin: one of many */
    POINTS, /* symbols */
    PATH,   /* symbols, joined */
    DOTS,   /* small symbols that shine through each other */
    HISTOGRAM,
    BAND,   /* point3(x, low, high) */
    ERRORS, /* point3(x, y, one sigma) */
    MAP     /* point3(x, y, colour), columns apart by gap() */
} curve_kind;

static struct {
    out_file script;
    char name[100];
    char plot[16384]; /* the panel's plot command, so far */
    int n_curves;     /* of the picture, */
    int n_styles;     /* and styles used in this panel */
    int open;         /* a curve's points are being written */
    int one;          /* the picture is one panel */
    char why[512];
} lesson;

#define WHY lesson.why /* for the calls that take a buffer for the reason last: must() prints it */

/* Ends the program where a call gives another status than 0. */
#define must(call) lesson_must(call, #call, __FILE__, __LINE__)
static inline void lesson_must(int status, const char *call, const char *file, int line) {
    if (status) fail("%s:%d: %s gives status %d. %s", file, line, call, status, lesson.why);
}

/* Begins a picture of rows x columns panels, each 700 to 1000 pixels wide: read from the back of a room. */
static inline void picture(const char *name, int rows, int columns) {
    char err[ERROR_SIZE];
    const int width = columns > 1 ? 700 * columns : 1000;
    const int height = rows > 1 ? 430 * rows : 620;
    *lesson.plot = 0;
    lesson.n_curves = lesson.open = 0;
    snprintf(lesson.name, sizeof lesson.name, "%s", name);
    lesson.one = rows * columns == 1;
    if (plot_begin(&lesson.script, ".", name, width, height, 20, err)) fail("%s", err);
    if (!lesson.one) fprintf(lesson.script.f, "set multiplot layout %d,%d\n", rows, columns);
}

static inline void lesson_close_curve(void) {
    if (lesson.open) fprintf(lesson.script.f, "END\n");
    lesson.open = 0;
}

static inline void lesson_close_panel(void) {
    lesson_close_curve();
    if (*lesson.plot) fprintf(lesson.script.f, "plot %s\n", lesson.plot);
    *lesson.plot = 0;
}

/* Begins a panel; its axes with their units. */
static inline void panel(const char *x, const char *y) {
    lesson_close_panel();
    lesson.n_styles = 0;
    FILE *f = lesson.script.f;
    fprintf(f, "reset\nset border 31 lw 2\nset grid lc rgb '#DDDDDD' lw 1 lt 1\nset tics scale 0.8\n");
    fprintf(f, "set key samplen 3 spacing 1.2\n");
    fprintf(f, "set palette defined (0 '#440154', 1 '#3B528B', 2 '#21918C', 3 '#5EC962', 4 '#FDE725')\n");
    fprintf(f, "set rmargin 3\nset xlabel ");
    plot_text(f, x);
    fprintf(f, "\nset ylabel ");
    plot_text(f, y);
    fprintf(f, "\n");
}

/* gnuplot's set command, for this panel: set("xrange [%g:%g]", 0.0, 1.0). */
COMMON_PRINTF(1, 2) static inline void set(const char *format, ...) {
    va_list arguments;
    lesson_close_curve();
    fprintf(lesson.script.f, "set ");
    va_start(arguments, format);
    vfprintf(lesson.script.f, format, arguments);
    va_end(arguments);
    fprintf(lesson.script.f, "\n");
}

/* Skips a style, so that the same thing looks the same in two panels. */
static inline void skip_style(void) {
    lesson.n_styles++;
}

/* Begins a curve; name: its words in the key, "" for none. */
static inline void curve(curve_kind kind, const char *name) {
    static const char *const colours[] = {"#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000"};
    static const char *const dashes[] = {"1", "(12,5)", "(3,4)", "(14,4,3,4)", "(6,3)", "(20,4)", "1"};
    static const int symbols[] = {7, 5, 9, 13, 11, 6, 4};
    static const char *const with[] = {"lines lw 4",
                                       "lines lw 2",
                                       "points ps 1.6",
                                       "linespoints ps 1.4 lw 3",
                                       "points pt 7 ps 0.5",
                                       "histeps lw 4",
                                       "filledcurves fs transparent solid 0.3 noborder",
                                       "yerrorbars ps 1.4 lw 2",
                                       "image"};
    const int k = lesson.n_styles % 7;
    const size_t used = strlen(lesson.plot);
    char *to = lesson.plot + used;
    char look[100] = "";
    lesson_close_curve();
    if (kind != MAP)
        snprintf(look, sizeof look, "lc rgb '%s%s'", kind == DOTS ? "#A0" : "", colours[k] + (kind == DOTS));
    if (kind == LINE) snprintf(look + strlen(look), 30, " dt %s", dashes[k]);
    if (kind == POINTS || kind == PATH || kind == ERRORS) snprintf(look + strlen(look), 30, " pt %d", symbols[k]);
    snprintf(to, sizeof lesson.plot - used, "%s$c%d with %s %s title \"%s\"", used ? ", " : "", lesson.n_curves,
             with[kind], look, name);
    fprintf(lesson.script.f, "$c%d << END\n", lesson.n_curves++);
    lesson.n_styles++;
    lesson.open = 1;
}

/* A point of the curve; float or double. */
#define point(x, y) lesson_point((double)(x), (double)(y))
static inline void lesson_point(double x, double y) {
    fprintf(lesson.script.f, "%.7g %.7g\n", x, y);
}

/* n of them. */
static inline void points(const double *x, const double *y, int n) {
    for (int i = 0; i < n; i++)
        point(x[i], y[i]);
}

/* A point of a BAND, of ERRORS, or of a MAP. */
#define point3(x, y, z) lesson_point3((double)(x), (double)(y), (double)(z))
static inline void lesson_point3(double x, double y, double z) {
    fprintf(lesson.script.f, "%.7g %.7g %.7g\n", x, y, z);
}

static inline void lesson_bins(const double *values, long n, int stride, double lower, double upper, int bins,
                               int logarithms) {
    double count[1000] = {0};
    const double width = (upper - lower) / bins;
    if (bins > 1000) fail("at most 1000 bins");
    for (long i = 0; i < n; i++) {
        const double bin = floor((values[i * stride] - lower) / width);
        if (bin >= 0 && bin < bins) count[(int)bin]++;
    }
    for (int bin = 0; bin < bins; bin++) {
        const double middle = lower + (bin + 0.5) * width;
        point(logarithms ? pow(10, middle) : middle, count[bin] / ((double)n * width));
    }
}

/* The points of a HISTOGRAM: the density of values[n], one every stride numbers, in bins between lower and upper. */
static inline void density(const double *values, long n, int stride, double lower, double upper, int bins) {
    lesson_bins(values, n, stride, lower, upper, bins, 0);
}

/* The same against x = 10^value, for values that are logarithms and an axis that is logarithmic. */
static inline void density_log(const double *values, long n, double lower, double upper, int bins) {
    lesson_bins(values, n, 1, lower, upper, bins, 1);
}

/* The next point is not joined to the last one. */
static inline void gap(void) {
    fprintf(lesson.script.f, "\n");
}

/* Ends the picture and has it drawn. */
static inline void show(void) {
    char err[ERROR_SIZE] = "";
    lesson_close_panel();
    if (!lesson.one) fprintf(lesson.script.f, "unset multiplot\n");
    int status = plot_end(&lesson.script, ".", lesson.name, err);
    if (!status) status = plot_pdf(".", lesson.name, err);
    if (status < 0) fail("%s", err);
    if (status)
        printf("no gnuplot (Debian: gnuplot-nox): the picture is left as %s.gp\n", lesson.name);
    else
        printf("%s.png, %s.pdf, and their script %s.gp\n", lesson.name, lesson.name, lesson.name);
}

#endif
