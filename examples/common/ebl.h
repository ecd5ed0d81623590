/* ebl.h: reads tables of the optical depth that the extragalactic background light has for gamma rays.

     #include "common.h"
     #define BML_SSC_IMPLEMENTATION
     #include "bml_ssc.h"
     #include "ebl.h"
     ebl_table ebl;
     char err[ERROR_SIZE];
     if (ebl_read(&ebl, "dominguez2011.csv", err)) fail("%s", err);   "dominguez2011.csv:17: tau '-1' must not be negative"
     bml_ssc_observer observer = {.redshift = 0.557, .delta = 30, .ebl = &ebl.tau};
     ebl_free(&ebl);

   The form in which such tables are published (Franceschini et al. 2008, A&A 487, 837; Dominguez et al. 2011, MNRAS 410,
   2556; ...), below one line that names the columns: the photon's energy at the observer, as energy_eV, energy_keV,
   energy_MeV, energy_GeV, energy_TeV or nu_Hz, and the redshifts. Commas or blanks between; lines that begin with # are
   comments:

       energy_TeV,0.1,0.5,1.0
       0.03,0.0001,0.008,0.064
       0.10,0.0120,0.271,1.190

   Energies and redshifts grow, two of each at least; tau may be 0. Between them bml_ssc.h is bilinear in z and log
   energy, below the first energy it takes tau as 0, above the last it knows nothing. Public domain or MIT, see LICENSE. */
#ifndef EBL_H
#define EBL_H

enum { EBL_COLUMNS = 1024, EBL_ROWS = 1000000 };

typedef struct ebl_table {
    bml_ssc_ebl tau; /* what bml_ssc.h takes; its arrays are the three below */
    double *z, *log10_nu, *depth;
} ebl_table;

static const struct ebl_unit {
    const char *name;
    double hz;
} ebl_units[] = {{"nu_Hz", 1},
                 {"energy_eV", 2.417989242e14},
                 {"energy_keV", 2.417989242e17},
                 {"energy_MeV", 2.417989242e20},
                 {"energy_GeV", 2.417989242e23},
                 {"energy_TeV", 2.417989242e26}};

static inline void ebl_free(ebl_table *e) {
    free(e->z);
    free(e->log10_nu);
    free(e->depth);
    memset(e, 0, sizeof *e);
}

/* The columns: the unit of the first as a frequency [Hz], and the redshifts. */
static inline int ebl_header(ebl_table *e, double *hz, char *const *field, int n, const text_file *t, char *err) {
    const int n_units = (int)(sizeof ebl_units / sizeof *ebl_units);
    int unit = 0;
    while (unit < n_units && strcmp(field[0], ebl_units[unit].name))
        unit++;
    if (unit == n_units)
        return error_at(err, t->name, t->line, "column '%.60s': energy_eV ... energy_TeV or nu_Hz must come first",
                        field[0]);
    *hz = ebl_units[unit].hz;
    if (n < 3) return error_at(err, t->name, t->line, "columns of two redshifts at least are needed");
    e->z = malloc((size_t)n * sizeof *e->z);
    if (!e->z) return error_set(err, "%.300s: out of memory", t->name);
    for (int i = 1; i < n; i++) {
        const char *wrong = read_real(&e->z[i - 1], field[i]);
        if (wrong) return error_at(err, t->name, t->line, "redshift '%.60s' %s", field[i], wrong);
        if (!(e->z[i - 1] >= 0) || (i > 1 && !(e->z[i - 1] > e->z[i - 2])))
            return error_at(err, t->name, t->line, "redshift '%.60s': they must grow from 0 or above", field[i]);
    }
    e->tau.n_z = n - 1;
    return 0;
}

/* row [1 + n_z]: log10 of the frequency, then tau. */
static inline int ebl_row(double *row, const double *before, double hz, char *const *field, int n, const text_file *t,
                          char *err) {
    for (int i = 0; i < n; i++) {
        const char *wrong = read_real(&row[i], field[i]);
        const char *what = i ? "tau" : "energy";
        if (wrong) return error_at(err, t->name, t->line, "%s '%.60s' %s", what, field[i], wrong);
        if (!(i ? row[i] >= 0 : row[i] > 0))
            return error_at(err, t->name, t->line, "%s '%.60s' must %s", what, field[i],
                            i ? "not be negative" : "be positive");
    }
    row[0] = log10(row[0]) + log10(hz);
    if (before && !(row[0] > before[0]))
        return error_at(err, t->name, t->line, "energy '%.60s': they must grow from line to line", field[0]);
    return 0;
}

/* The lines into row [n_nu][1 + n_z], which the caller frees. */
static inline int ebl_lines(ebl_table *e, double **row, text_file *t, char *err) {
    char *field[EBL_COLUMNS];
    char *line;
    double hz = 0;
    for (int room = 0; (line = text_line(t)) != NULL;) {
        while (is_space(*line))
            line++;
        if (!*line || *line == '#') continue;
        const int n = split(field, EBL_COLUMNS, line, strchr(line, ',') ? ',' : ' ');
        const int width = 1 + e->tau.n_z;
        if (n < 0) return error_at(err, t->name, t->line, "a quote is not closed");
        if (n > EBL_COLUMNS) return error_at(err, t->name, t->line, "more than %d columns", EBL_COLUMNS);
        if (!e->z) {
            if (ebl_header(e, &hz, field, n, t, err)) return -1;
            continue;
        }
        if (n != width) return error_at(err, t->name, t->line, "%d fields, not %d as in the first line", n, width);
        if (e->tau.n_nu == room) {
            double *more = room < EBL_ROWS
                               ? realloc(*row, (size_t)(room = room ? 2 * room : 64) * (size_t)width * sizeof **row)
                               : NULL;
            if (!more) return error_at(err, t->name, t->line, "no room for more lines");
            *row = more;
        }
        double *now = *row + (size_t)e->tau.n_nu * (size_t)width;
        if (ebl_row(now, e->tau.n_nu ? now - width : NULL, hz, field, n, t, err)) return -1;
        e->tau.n_nu++;
    }
    if (e->tau.n_nu < 2)
        return error_set(err, "%.300s: a line of columns and two energies at least are needed", t->name);
    return 0;
}

static inline int ebl_text(ebl_table *e, text_file *t, char *err) {
    double *row = NULL;
    memset(e, 0, sizeof *e);
    int bad = ebl_lines(e, &row, t, err);
    if (!bad) {
        const size_t n = (size_t)e->tau.n_nu;
        const size_t n_z = (size_t)e->tau.n_z;
        e->log10_nu = malloc(n * sizeof *e->log10_nu);
        e->depth = malloc(n * n_z * sizeof *e->depth);
        if (!e->log10_nu || !e->depth) bad = error_set(err, "%.300s: out of memory", t->name);
        for (size_t k = 0; !bad && k < n; k++) {
            e->log10_nu[k] = row[k * (1 + n_z)];
            for (size_t i = 0; i < n_z; i++)
                e->depth[i * n + k] = row[k * (1 + n_z) + 1 + i];
        }
        e->tau.z = e->z;
        e->tau.log10_nu = e->log10_nu;
        e->tau.tau = e->depth;
    }
    free(row);
    text_close(t);
    if (bad) ebl_free(e);
    return bad ? -1 : 0;
}

/* The path of a shipped table by its name, "dominguez2011": ebl_NAME.csv in $BML_EBL, in examples/data beside the program's own
   folder, in share/bml beside it, or in examples/data. A name that is a file is that file. 0, or -1 and a line in err. */
static inline int ebl_find(char *path, size_t size, const char *name, char *err) {
    char own[PATH_SIZE] = "";
    const char *places[4] = {getenv("BML_EBL"), NULL, NULL, "examples/data"};
    char beside[2][2 * PATH_SIZE];
    const ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    char *slash = n > 0 ? strrchr(own, '/') : NULL;
    if (slash) {
        *slash = 0;
        snprintf(beside[0], sizeof beside[0], "%s/../examples/data", own);
        snprintf(beside[1], sizeof beside[1], "%s/../share/bml", own);
        places[1] = beside[0];
        places[2] = beside[1];
    }
    for (int i = 0; i < 4; i++) {
        if (!places[i] || strchr(name, '/')) continue;
        snprintf(path, size, "%s/ebl_%s.csv", places[i], name);
        if (!access(path, R_OK)) return 0;
    }
    snprintf(path, size, "%s", name);
    if (!access(path, R_OK)) return 0;
    return error_set(err, "%.200s: neither a file nor a model of the background light (dominguez2011, saldana2021)",
                     name);
}

/* 0, or -1 and a line in err; the table is then empty. "-" is standard input. */
static inline int ebl_read(ebl_table *e, const char *path, char *err) {
    memset(e, 0, sizeof *e);
    text_file t;
    return text_open(&t, path, err) ? -1 : ebl_text(e, &t, err);
}

/* The same from memory: for tests and fuzzers. */
static inline int ebl_read_memory(ebl_table *e, const void *data, size_t size, const char *name, char *err) {
    memset(e, 0, sizeof *e);
    text_file t;
    return text_copy(&t, data, size, name, err) ? -1 : ebl_text(e, &t, err);
}
#endif
