/* verdict.h: the last thing that a program says: what a referee would ask of its results, a sentence each.

     #include "common.h"
     #include "verdict.h"
     verdict v = {0};
     verdict_add(&v, VERDICT_GREEN, "rhat", 1.002, "The chains agree.");
     verdict_add(&v, VERDICT_RED, "chi2_p", 1e-300, "chi^2 is %.0f for %d points.", 80145.0, 105);
     run_info run = {..., .more = verdict_json, .more_of = &v};    "verdict": {...} in run.json
     verdict_write(&v, dir, err);                                   DIR/verdict.txt
     verdict_print(stdout, &v);
     return verdict_status(&v);                                     0, or 2 when any line is red

   RED: the results must not be used as they are. YELLOW: they may be, with this in mind. GREEN: asked, and in order.
   A line that could not be asked is not green: say VERDICT_YELLOW and why. A number that is NaN cannot be green: it
   becomes red. Public domain or MIT, see LICENSE. */
#ifndef VERDICT_H
#define VERDICT_H
#include "common.h"

enum { VERDICT_GREEN, VERDICT_YELLOW, VERDICT_RED, VERDICT_COLOURS };
enum { VERDICT_LINES = 96, VERDICT_NAME = 48, VERDICT_TEXT = 400 };

static const char *const verdict_words[VERDICT_COLOURS] = {"green", "yellow", "red"};

typedef struct verdict_line {
    int colour;
    char name[VERDICT_NAME]; /* a word for run.json: chi2_p, edge_log_R */
    double number;
    char text[VERDICT_TEXT]; /* one sentence: what the number says, and what to do */
} verdict_line;

typedef struct verdict { /* begin with {0} */
    verdict_line line[VERDICT_LINES];
    int n;
    int lost; /* lines without room; a red one among them is counted in `count` all the same */
    int count[VERDICT_COLOURS];
} verdict;

/* Adds a line; the sentence is printf-like. */
COMMON_PRINTF(5, 6)
static inline void verdict_add(verdict *v, int colour, const char *name, double number, const char *fmt, ...) {
    if (isnan(number) && colour == VERDICT_GREEN) colour = VERDICT_RED;
    v->count[colour]++;
    if (v->n == VERDICT_LINES) {
        v->lost++;
        return;
    }
    verdict_line *line = &v->line[v->n++];
    line->colour = colour;
    line->number = number;
    snprintf(line->name, sizeof line->name, "%s", name);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line->text, sizeof line->text, fmt, ap);
    va_end(ap);
}

/* The same with the colour that the number deserves: green up to `yellow`, yellow up to `red`, red above and for NaN.
   */
static inline int verdict_colour(double number, double yellow, double red) {
    if (!(number <= red)) return VERDICT_RED;
    return number <= yellow ? VERDICT_GREEN : VERDICT_YELLOW;
}

/* The exit status: 0 usable, 2 written but not to be trusted. */
static inline int verdict_status(const verdict *v) {
    return v->count[VERDICT_RED] ? 2 : 0;
}

static inline const char *verdict_summary(const verdict *v) {
    if (v->count[VERDICT_RED]) return "NOT TO BE TRUSTED";
    return v->count[VERDICT_YELLOW] ? "usable, with care" : "usable";
}

/* The worst lines first, in the order in which they were added. */
static inline void verdict_print(FILE *f, const verdict *v) {
    fprintf(f, "verdict: %s (%d red, %d yellow, %d green)\n", verdict_summary(v), v->count[VERDICT_RED],
            v->count[VERDICT_YELLOW], v->count[VERDICT_GREEN]);
    for (int colour = VERDICT_RED; colour >= VERDICT_GREEN; colour--)
        for (int i = 0; i < v->n; i++) {
            const verdict_line *line = &v->line[i];
            if (line->colour != colour) continue;
            fprintf(f, "  %-6s  %-22s %10.4g  %s\n", verdict_words[colour], line->name, line->number, line->text);
        }
    if (v->lost) fprintf(f, "  (%d more lines)\n", v->lost);
}

/* DIR/verdict.txt. 0, or -1 with a line in err. */
static inline int verdict_write(const verdict *v, const char *dir, char *err) {
    out_file o;
    if (out_begin(&o, dir, "verdict.txt", err)) return -1;
    verdict_print(o.f, v);
    return out_commit(&o, err);
}

/* "verdict": {...} of run.json; for run_info.more. */
static inline void verdict_json(json_writer *j, const void *of) {
    const verdict *v = of;
    json_open(j, "verdict", '{');
    json_text(j, "summary", verdict_summary(v));
    json_integer(j, "exit_status", verdict_status(v));
    for (int colour = VERDICT_RED; colour >= VERDICT_GREEN; colour--)
        json_integer(j, verdict_words[colour], v->count[colour]);
    json_open(j, "lines", '[');
    for (int i = 0; i < v->n; i++) {
        json_open(j, NULL, '{');
        json_text(j, "colour", verdict_words[v->line[i].colour]);
        json_text(j, "name", v->line[i].name);
        json_real(j, "number", v->line[i].number);
        json_text(j, "text", v->line[i].text);
        json_close(j);
    }
    json_close(j);
    json_close(j);
}
#endif
