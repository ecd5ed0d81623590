/* hadron_area.h: the effective area of a neutrino telescope: lines log10 E [GeV], area [cm^2] for muon neutrinos; #
   begins a comment line, a first line of names is skipped. Include common.h and bml_hadron.h first. Public domain or
   MIT, see LICENSE. */
#ifndef HADRON_AREA_H
#define HADRON_AREA_H

enum { HADRON_AREA_MOST = 4096 };

typedef struct hadron_area { /* begin with {0} */
    double log10_GeV[HADRON_AREA_MOST], cm2[HADRON_AREA_MOST];
    int n;
} hadron_area;

/* One line into point n. 1: it holds names, and is skipped. */
static inline int hadron_area_line(hadron_area *a, char *text, const text_file *in, char *err) {
    char *field[3];
    if (split(field, 3, text, ',') != 2 || a->n == HADRON_AREA_MOST) {
        return error_at(err, in->name, in->line,
                        "two columns are expected: log10 E [GeV], area [cm^2], at most %d lines", HADRON_AREA_MOST);
    }
    double *log_E = &a->log10_GeV[a->n];
    const char *wrong = read_real(log_E, field[0]);
    if (wrong && a->n == 0 && in->line == 1) {
        return 1;
    }
    if (!wrong) {
        wrong = read_real(&a->cm2[a->n], field[1]);
    }
    if (wrong) {
        return error_at(err, in->name, in->line, "%s", wrong);
    }
    if (a->n > 0 && !(log_E[0] > log_E[-1])) {
        return error_at(err, in->name, in->line, "energies must grow");
    }
    if (!(a->cm2[a->n] >= 0)) {
        return error_at(err, in->name, in->line, "an area must not be negative");
    }
    a->n++;
    return 0;
}

/* 0, or -1 with a line in err. */
static inline int hadron_area_read(hadron_area *a, const char *path, char *err) {
    text_file in;
    if (text_open(&in, path, err)) {
        return -1;
    }
    int status = 0;
    for (char *text = text_line(&in); text && status >= 0; text = text_line(&in)) {
        text = trim(text);
        if (*text && *text != '#') {
            status = hadron_area_line(a, text, &in, err);
        }
    }
    if (status >= 0 && a->n < 2) {
        status = error_set(err, "%s: two points are needed at least", path);
    }
    text_close(&in);
    return status < 0 ? -1 : 0;
}
#endif
