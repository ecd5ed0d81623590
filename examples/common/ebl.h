/* ebl.h: reads tables of the optical depth that the extragalactic background light has for gamma rays.

     #include "common.h"
     #define BML_SSC_IMPLEMENTATION
     #include "bml_ssc.h"
     #include "ebl.h"
     ebl_table ebl;
     char path[PATH_SIZE], err[ERROR_SIZE];
     if (ebl_find(path, sizeof path, "dominguez2011", err)) fail("%s", err);   the path of a shipped table
     if (ebl_read(&ebl, path, err)) fail("%s", err);        "dominguez2011.csv:17: tau '-1' must not be negative"
     bml_ssc_observer observer = {.redshift = 0.557, .delta = 30, .ebl = &ebl.tau};
     ebl_free(&ebl);

   1. Text: the photon's energy at the observer, then tau for each redshift. Commas or blanks between; lines that begin
   with # are comments. The first line names the columns, energy_eV ... energy_TeV or nu_Hz and the redshifts:

       energy_TeV,0.1,0.5,1.0
       0.03,0.0001,0.008,0.064
       0.10,0.0120,0.271,1.190

   Without such a line (Franceschini et al. 2008, A&A 487, 837; Dominguez et al. 2011, MNRAS 410, 2556, as published)
   the redshifts stand in the first line behind a number that is no energy, alone in that line, or in a comment; the
   unit is the one that puts tau = 1 at z = 0.1 nearest to 1 TeV, where all models have it. 2. FITS: XSPEC tables of
   exp(-tau), extensions ENERGIES and SPECTRA with columns ENERG_LO, ENERG_HI, PARAMVAL, INTPSPEC (agnpy, gammapy,
   JetSeT); energies in their TUNIT, else in the unit that fits as above (keV is usual). Values of 0 are beyond single
   precision, tau above 85: tau goes on there as the power of energy that it has before. Tables of tau with a column
   `energies` and columns z_0.01 ... (JetSeT) too.

   Energies and redshifts grow, two of each at least; tau may be 0, and inf is total absorption: tau = 690, a flux of
   1e-300. Below the first redshift tau goes to tau(z = 0) = 0. Between them bml_ssc.h is bilinear in z and log energy,
   below the first energy it takes tau as 0, above the last it knows nothing. No printing, no exit, no dependence on
   the locale. Public domain or MIT, see LICENSE. */
#ifndef EBL_H
#define EBL_H
#include "common.h"
#include "bml_ssc.h"

enum { EBL_COLUMNS = 4096, EBL_ROWS = 1000000 };
static const double EBL_MOST = 690;           /* exp(-690) = 1e-300 */
static const double EBL_TEV = 2.417989242e26; /* [Hz] */

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
enum { EBL_UNITS = sizeof ebl_units / sizeof *ebl_units };

static inline void ebl_free(ebl_table *e) {
    free(e->z);
    free(e->log10_nu);
    free(e->depth);
    memset(e, 0, sizeof *e);
}

/* ==== a table while it is read ==================================================================================== */

/* Rows of an energy and tau at each redshift. */
typedef struct ebl_rows {
    const char *name; /* for messages */
    double hz;        /* of the unit of energy; 0: not known yet */
    double *z;        /* [n_z] */
    double *row;      /* [n][1 + n_z] */
    int n_z, n, room;
} ebl_rows;

static inline void ebl_rows_free(ebl_rows *r) {
    free(r->z);
    free(r->row);
    memset(r, 0, sizeof *r);
}

static inline double *ebl_row_of(const ebl_rows *r, int i) {
    return r->row + (size_t)i * (size_t)(1 + r->n_z);
}

/* Room for one row more. */
static inline int ebl_rows_grow(ebl_rows *r, char *err) {
    if (r->n < r->room) {
        return 0;
    }
    const int room = r->room ? 2 * r->room : 64;
    double *more = NULL;
    if (r->n < EBL_ROWS) {
        more = realloc(r->row, (size_t)room * (size_t)(1 + r->n_z) * sizeof *more);
    }
    if (!more) {
        return error_set(err, "%.300s: no room for more lines", r->name);
    }
    r->row = more;
    r->room = room;
    return 0;
}

/* Where tau = 1 for the redshift nearest to 0.1, in the table's own unit; 0: nowhere. */
static inline double ebl_horizon(const ebl_rows *r) {
    int column = 0;
    for (int i = 1; i < r->n_z; i++)
        if (fabs(r->z[i] - 0.1) < fabs(r->z[column] - 0.1)) {
            column = i;
        }
    if (!(r->z[column] > 0.03 && r->z[column] < 0.3)) {
        return 0;
    }
    for (int k = 0; k < r->n; k++)
        if (ebl_row_of(r, k)[1 + column] >= 1) {
            return ebl_row_of(r, k)[0];
        }
    return 0;
}

/* The unit that puts tau = 1 at z = 0.1 nearest to 1 TeV. */
static inline int ebl_guess_unit(ebl_rows *r, char *err) {
    const double horizon = ebl_horizon(r);
    double least = 1.2; /* decades */
    for (int i = 0; i < EBL_UNITS && horizon > 0; i++) {
        const double off = fabs(log10(horizon * ebl_units[i].hz / EBL_TEV));
        if (off > least) {
            continue;
        }
        least = off;
        r->hz = ebl_units[i].hz;
    }
    if (r->hz > 0) {
        return 0;
    }
    return error_set(err, "%.300s: the unit of energy is not told: name the first column energy_TeV or the like",
                     r->name);
}

/* Energies and redshifts must grow, tau must not be negative. */
static inline int ebl_check(const ebl_rows *r, char *err) {
    if (r->n_z < 1 || r->n < 2) {
        return error_set(err, "%.300s: a line of columns and two energies at least are needed", r->name);
    }
    for (int i = 0; i < r->n_z; i++)
        if (!(r->z[i] >= 0) || (i && !(r->z[i] > r->z[i - 1]))) {
            return error_set(err, "%.300s: redshift %g: they must grow from 0 or above", r->name, r->z[i]);
        }
    for (int k = 0; k < r->n; k++) {
        const double *row = ebl_row_of(r, k);
        if (!(row[0] > 0) || (k && !(row[0] > ebl_row_of(r, k - 1)[0]))) {
            return error_set(err, "%.300s: energy %g: they must be positive and grow", r->name, row[0]);
        }
        for (int i = 1; i <= r->n_z; i++)
            if (!(row[i] >= 0)) {
                return error_set(err, "%.300s: tau %g must not be negative", r->name, row[i]);
            }
    }
    return 0;
}

/* From rows to what bml_ssc.h takes, with a column of zeros at z = 0. */
static inline int ebl_finish(ebl_table *e, ebl_rows *r, char *err) {
    if (ebl_check(r, err)) {
        return -1;
    }
    if (r->hz == 0 && ebl_guess_unit(r, err)) {
        return -1;
    }
    const int zero = r->z[0] > 0;
    const size_t n = (size_t)r->n;
    const size_t n_z = (size_t)(r->n_z + zero);
    e->z = calloc(n_z, sizeof *e->z);
    e->log10_nu = malloc(n * sizeof *e->log10_nu);
    e->depth = calloc(n * n_z, sizeof *e->depth);
    if (!e->z || !e->log10_nu || !e->depth) {
        return error_set(err, "%.300s: out of memory", r->name);
    }
    for (int i = 0; i < r->n_z; i++)
        e->z[i + zero] = r->z[i];
    for (int k = 0; k < r->n; k++) {
        const double *row = ebl_row_of(r, k);
        e->log10_nu[k] = log10(row[0]) + log10(r->hz);
        for (int i = 0; i < r->n_z; i++)
            e->depth[(size_t)(i + zero) * n + (size_t)k] = fmin(row[1 + i], EBL_MOST);
    }
    e->tau = (bml_ssc_ebl){.n_z = (int)n_z, .n_nu = r->n, .z = e->z, .log10_nu = e->log10_nu, .tau = e->depth};
    if (n_z > 1) {
        return 0;
    }
    return error_set(err, "%.300s: columns of two redshifts at least are needed", r->name);
}

/* ==== text ======================================================================================================== */

/* The redshifts from n fields. */
static inline int ebl_redshifts(ebl_rows *r, char *const *field, int n, const text_file *t, char *err) {
    r->z = malloc((size_t)(n + 1) * sizeof *r->z);
    if (!r->z) {
        return error_set(err, "%.300s: out of memory", t->name);
    }
    r->n_z = n;
    for (int i = 0; i < n; i++) {
        const char *wrong = read_real(&r->z[i], field[i]);
        if (wrong) {
            return error_at(err, t->name, t->line, "redshift '%.60s' %s", field[i], wrong);
        }
        if (!(r->z[i] >= 0) || (i && !(r->z[i] > r->z[i - 1]))) {
            return error_at(err, t->name, t->line, "redshift '%.60s': they must grow from 0 or above", field[i]);
        }
    }
    return 0;
}

/* A line that names its columns: the unit of the first, and the redshifts. */
static inline int ebl_header(ebl_rows *r, char *const *field, int n, const text_file *t, char *err) {
    int unit = 0;
    while (unit < EBL_UNITS && strcmp(field[0], ebl_units[unit].name))
        unit++;
    if (unit == EBL_UNITS) {
        return error_at(err, t->name, t->line, "column '%.60s': energy_eV ... energy_TeV or nu_Hz must come first",
                        field[0]);
    }
    r->hz = ebl_units[unit].hz;
    if (n < 3) {
        return error_at(err, t->name, t->line, "columns of two redshifts at least are needed");
    }
    return ebl_redshifts(r, field + 1, n - 1, t, err);
}

/* One energy, and tau at each redshift; inf is total absorption. */
static inline int ebl_line(ebl_rows *r, char *const *field, int n, const text_file *t, char *err) {
    if (n != 1 + r->n_z) {
        return error_at(err, t->name, t->line, "%d fields, not %d as in the first line", n, 1 + r->n_z);
    }
    if (ebl_rows_grow(r, err)) {
        return -1;
    }
    double *row = ebl_row_of(r, r->n);
    for (int i = 0; i < n; i++) {
        const char *what = i ? "tau" : "energy";
        const char *wrong = read_real(&row[i], field[i]);
        if (wrong && i && row[i] > 0 && isinf(row[i])) {
            wrong = NULL;
        }
        if (wrong) {
            return error_at(err, t->name, t->line, "%s '%.60s' %s", what, field[i], wrong);
        }
        if (!(i ? row[i] >= 0 : row[i] > 0)) {
            return error_at(err, t->name, t->line, "%s '%.60s' must %s", what, field[i],
                            i ? "not be negative" : "be positive");
        }
    }
    if (r->n && !(row[0] > ebl_row_of(r, r->n - 1)[0])) {
        return error_at(err, t->name, t->line, "energy '%.60s': they must grow from line to line", field[0]);
    }
    r->n++;
    return 0;
}

/* Numbers that grow from 0 or above, in a comment: perhaps the redshifts. field: room for EBL_COLUMNS. Returns how
   many. */
static inline int ebl_numbers(char **field, char *s) {
    int n = 0;
    double last = -1;
    double value;
    for (char *word = s; *word && n < EBL_COLUMNS;) {
        word += strspn(word, " ,\t=:;");
        const size_t length = strcspn(word, " ,\t=:;");
        const char after = word[length];
        if (!length) {
            break;
        }
        word[length] = 0;
        if (!read_real(&value, word) && value >= 0 && value > last) {
            last = value;
            field[n++] = word;
        } else if (n > 2) {
            break;
        } else {
            n = 0;
            last = -1;
        }
        word += length + (after != 0);
    }
    return n;
}

/* The first line of numbers where no line has named the columns: redshifts, or data whose redshifts a comment held.
   Returns 1 where the line was one of redshifts. */
static inline int ebl_first_numbers(ebl_rows *r, char **field, int n, const text_file *t, const char *after,
                                    char *err) {
    double first;
    char *next[3];
    char copy[4096];
    if (r->z) {
        return 0;
    }
    snprintf(copy, sizeof copy, "%.*s", (int)strcspn(after, "\n"), after);
    double second = 0;
    const int known = split(next, 2, copy, strchr(copy, ',') ? ',' : ' ') > 0 && !read_real(&second, next[0]);
    if (read_real(&first, field[0])) {
        return error_at(err, t->name, t->line, "'%.60s' is no number", field[0]);
    }
    const int alone = known && !(first > 0 && first < second); /* what stands first is no energy */
    if (!alone) {
        return error_at(err, t->name, t->line, "no line of redshifts before the first energy");
    }
    return ebl_redshifts(r, field + 1, n - 1, t, err) ? -1 : 1;
}

/* A comment may hold the redshifts of a table that names no columns. */
static inline int ebl_comment(ebl_rows *r, char *s, const text_file *t, char *err) {
    char **field = malloc(EBL_COLUMNS * sizeof *field);
    if (!field) {
        return error_set(err, "%.300s: out of memory", t->name);
    }
    const int n = r->z ? 0 : ebl_numbers(field, s + 1);
    const int bad = n > 3 && ebl_redshifts(r, field, n, t, err);
    free(field);
    return bad;
}

static inline int ebl_lines(ebl_rows *r, text_file *t, char **field, char *err) {
    char *line = text_line(t);
    for (; line; line = text_line(t)) {
        line += strspn(line, " \t\r");
        if (!*line) {
            continue;
        }
        if (*line == '#') {
            if (r->n == 0 && ebl_comment(r, line, t, err)) {
                return -1;
            }
            continue;
        }
        const int n = split(field, EBL_COLUMNS, line, strchr(line, ',') ? ',' : ' ');
        if (n < 0) {
            return error_at(err, t->name, t->line, "a quote is not closed");
        }
        if (n > EBL_COLUMNS) {
            return error_at(err, t->name, t->line, "more than %d columns", EBL_COLUMNS);
        }
        double number;
        if (r->n == 0 && r->hz == 0 && read_real(&number, field[0])) {
            free(r->z); /* of a comment */
            r->z = NULL;
            if (ebl_header(r, field, n, t, err)) {
                return -1;
            }
            continue;
        }
        const int redshifts = r->n == 0 ? ebl_first_numbers(r, field, n, t, t->next, err) : 0;
        if (redshifts < 0) {
            return -1;
        }
        if (!redshifts && ebl_line(r, field, n, t, err)) {
            return -1;
        }
    }
    return 0;
}

static inline int ebl_text(ebl_table *e, text_file *t, char *err) {
    ebl_rows r = {.name = t->name};
    char **field = malloc((EBL_COLUMNS + 1) * sizeof *field);
    int bad = field ? 0 : error_set(err, "%.300s: out of memory", t->name);
    bad = bad || ebl_lines(&r, t, field, err) || ebl_finish(e, &r, err);
    free(field);
    ebl_rows_free(&r);
    text_close(t);
    if (bad) {
        ebl_free(e);
    }
    return bad ? -1 : 0;
}

/* ==== FITS ======================================================================================================== */

enum { FITS_CARD = 80, FITS_BLOCK = 2880, FITS_FIELDS = 1000 };

/* One header with its data, inside the bytes of the file. */
typedef struct ebl_hdu {
    const unsigned char *card, *data, *end; /* header; data; end of the file */
    int cards;
    long width, rows; /* of a table */
    int fields;
    const unsigned char *next;
} ebl_hdu;

/* The value of a key, without quotes and comment; empty where there is none. */
static inline void ebl_card(char value[FITS_CARD], const ebl_hdu *h, const char *key) {
    char wanted[FITS_CARD];
    snprintf(wanted, sizeof wanted, "%-8.70s", key);
    value[0] = 0;
    for (int i = 0; i < h->cards; i++) {
        const char *card = (const char *)h->card + (long)i * FITS_CARD;
        if (memcmp(card, wanted, 8) || memcmp(card + 8, "= ", 2)) {
            continue;
        }
        int from = 10;
        while (from < FITS_CARD && card[from] == ' ')
            from++;
        const int quoted = from < FITS_CARD && card[from] == '\'';
        from += quoted;
        int n = 0;
        while (from < FITS_CARD && card[from] != (quoted ? '\'' : '/'))
            value[n++] = card[from++];
        value[n] = 0;
        memmove(value, trim(value), strlen(trim(value)) + 1);
        return;
    }
}

static inline long ebl_card_number(const ebl_hdu *h, const char *key, long otherwise) {
    char value[FITS_CARD];
    long n;
    ebl_card(value, h, key);
    return read_integer(&n, value) ? otherwise : n;
}

/* Reads the header at `at`; 0, or -1 where there is none. */
static inline int ebl_hdu_at(ebl_hdu *h, const unsigned char *at, const unsigned char *end) {
    memset(h, 0, sizeof *h);
    h->card = at;
    h->end = end;
    const long most = (end - at) / FITS_CARD;
    while (h->cards < most && memcmp(at + (long)h->cards * FITS_CARD, "END     ", 8))
        h->cards++;
    if (h->cards == most) {
        return -1;
    }
    const long header = ((long)(h->cards + 1) * FITS_CARD + FITS_BLOCK - 1) / FITS_BLOCK * FITS_BLOCK;
    const long axes = ebl_card_number(h, "NAXIS", 0);
    const long bits = labs(ebl_card_number(h, "BITPIX", 8));
    h->width = axes > 0 ? ebl_card_number(h, "NAXIS1", 0) : 0;
    h->rows = axes > 1 ? ebl_card_number(h, "NAXIS2", 0) : axes > 0;
    h->fields = (int)ebl_card_number(h, "TFIELDS", 0);
    const long heap = ebl_card_number(h, "PCOUNT", 0);
    const long room = end - at;
    if (header > room || h->width < 0 || h->rows < 0 || heap < 0 || heap > room || bits > 64) {
        return -1;
    }
    if (h->width && h->rows > room / h->width) {
        return -1;
    }
    const long size = h->width * h->rows * (bits / 8) + heap;
    const long blocks = (size + FITS_BLOCK - 1) / FITS_BLOCK * FITS_BLOCK;
    if (size > room - header) {
        return -1;
    }
    h->data = at + header;
    h->next = blocks > room - header ? end : h->data + blocks;
    return 0;
}

/* Bytes of an element by its letter; 0: not one of ours. */
static inline int ebl_letter_size(char c) {
    static const char letters[] = "LBAIJKEDCMPQ";
    static const int sizes[] = {1, 1, 1, 2, 4, 8, 4, 8, 8, 16, 8, 16};
    const char *at = c ? strchr(letters, c) : NULL;
    return at ? sizes[at - letters] : 0;
}

/* A column of a table: where it begins in a row, how many elements, of which kind. */
typedef struct ebl_field {
    char name[FITS_CARD], unit[FITS_CARD];
    long offset, count;
    char letter;
} ebl_field;

/* The fields of a table one by one: k grows from 1, f holds the one before. 0, or -1 where the header is damaged. */
static inline int ebl_field_next(ebl_field *f, const ebl_hdu *h, int k) {
    char key[16];
    char form[FITS_CARD];
    const long begin = k == 1 ? 0 : f->offset + f->count * ebl_letter_size(f->letter);
    snprintf(key, sizeof key, "TTYPE%d", k);
    ebl_card(f->name, h, key);
    snprintf(key, sizeof key, "TUNIT%d", k);
    ebl_card(f->unit, h, key);
    snprintf(key, sizeof key, "TFORM%d", k);
    ebl_card(form, h, key);
    const size_t digits = digit_run(form);
    f->offset = begin;
    f->count = digits ? strtol(form, NULL, 10) : 1;
    f->letter = form[digits];
    const int size = ebl_letter_size(f->letter);
    if (!size || f->count < 0 || f->count > h->width / size || f->offset > h->width - f->count * size) {
        return -1;
    }
    return 0;
}

/* The field of a name; 0, or -1. */
static inline int ebl_field_named(ebl_field *f, const ebl_hdu *h, const char *name) {
    memset(f, 0, sizeof *f);
    for (int k = 1; k <= h->fields && k <= FITS_FIELDS; k++) {
        if (ebl_field_next(f, h, k)) {
            return -1;
        }
        if (!strcasecmp(f->name, name)) {
            return f->letter == 'E' || f->letter == 'D' ? 0 : -1;
        }
    }
    return -1;
}

/* Element k of a field in a row: big endian, single or double. */
static inline double ebl_element(const ebl_hdu *h, const ebl_field *f, long row, long k) {
    const int size = f->letter == 'E' ? 4 : 8;
    const unsigned char *byte = h->data + row * h->width + f->offset + k * size;
    uint64_t bits = 0;
    for (int i = 0; i < size; i++)
        bits = bits << 8 | byte[i];
    if (size == 8) {
        double value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    const uint32_t half = (uint32_t)bits;
    float value;
    memcpy(&value, &half, sizeof value);
    return (double)value;
}

/* The frequency of a unit's name [Hz]; 0 where it is none. */
static inline double ebl_unit_hz(const char *name) {
    for (int i = 0; i < EBL_UNITS; i++) {
        const char *unit = strchr(ebl_units[i].name, '_') + 1;
        if (!strcasecmp(name, unit)) {
            return ebl_units[i].hz;
        }
    }
    return 0;
}

/* tau from exp(-tau) along one redshift; what single precision lost goes on as a power of energy. */
static inline void ebl_depths(ebl_rows *r, int column) {
    const double sound = 1e-37;
    for (int k = 0; k < r->n; k++) {
        double *tau = &ebl_row_of(r, k)[1 + column];
        if (*tau >= sound) {
            *tau = *tau < 1 ? -log(*tau) : 0;
            continue;
        }
        if (k < 5) {
            *tau = EBL_MOST;
            continue;
        }
        const double *before = ebl_row_of(r, k - 1);
        const double *earlier = ebl_row_of(r, k - 5);
        const double steps = log(before[0] / earlier[0]);
        const double slope = earlier[1 + column] > 0 ? log(before[1 + column] / earlier[1 + column]) / steps : 0;
        *tau = fmin(before[1 + column] * pow(ebl_row_of(r, k)[0] / before[0], slope), EBL_MOST);
    }
}

static inline int ebl_rows_take(ebl_rows *r, long n_z, long n, char *err) {
    if (n_z < 1 || n < 2 || n_z > EBL_COLUMNS || n > EBL_ROWS || n_z * n > 100000000) {
        return error_set(err, "%.300s: an impossible table of %ld redshifts and %ld energies", r->name, n_z, n);
    }
    r->n_z = (int)n_z;
    r->n = (int)n;
    r->z = malloc((size_t)n_z * sizeof *r->z);
    r->row = malloc((size_t)n * (size_t)(1 + n_z) * sizeof *r->row);
    return r->z && r->row ? 0 : error_set(err, "%.300s: out of memory", r->name);
}

/* XSPEC's ENERGIES and SPECTRA. */
static inline int ebl_xspec(ebl_rows *r, const ebl_hdu *energies, const ebl_hdu *spectra, char *err) {
    ebl_field lo;
    ebl_field hi;
    ebl_field z;
    ebl_field passed;
    if (ebl_field_named(&lo, energies, "ENERG_LO") || ebl_field_named(&hi, energies, "ENERG_HI")) {
        return error_set(err, "%.300s: ENERGIES without columns ENERG_LO and ENERG_HI", r->name);
    }
    if (ebl_field_named(&z, spectra, "PARAMVAL") || ebl_field_named(&passed, spectra, "INTPSPEC")) {
        return error_set(err, "%.300s: SPECTRA without columns PARAMVAL and INTPSPEC", r->name);
    }
    if (z.count != 1) {
        return error_set(err, "%.300s: %ld parameters: redshift must be the only one", r->name, z.count);
    }
    if (passed.count != energies->rows) {
        return error_set(err, "%.300s: %ld values of INTPSPEC for %ld energies", r->name, passed.count, energies->rows);
    }
    if (ebl_rows_take(r, spectra->rows, energies->rows, err)) {
        return -1;
    }
    r->hz = ebl_unit_hz(lo.unit);
    for (int i = 0; i < r->n_z; i++)
        r->z[i] = ebl_element(spectra, &z, i, 0);
    for (int k = 0; k < r->n; k++) {
        double *row = ebl_row_of(r, k);
        row[0] = sqrt(ebl_element(energies, &lo, k, 0) * ebl_element(energies, &hi, k, 0));
        for (int i = 0; i < r->n_z; i++)
            row[1 + i] = ebl_element(spectra, &passed, i, k);
    }
    for (int i = 0; i < r->n_z; i++)
        ebl_depths(r, i);
    return 0;
}

/* One table of tau: a column of energies and columns named z_0.01 and so on. */
static inline int ebl_columns(ebl_rows *r, const ebl_hdu *h, char *err) {
    ebl_field f = {.count = 0};
    if (ebl_rows_take(r, h->fields - 1, h->rows, err)) {
        return -1;
    }
    for (int k = 1; k <= h->fields; k++) {
        if (ebl_field_next(&f, h, k) || f.count != 1 || (f.letter != 'E' && f.letter != 'D')) {
            return error_set(err, "%.300s: column %d is no column of numbers", r->name, k);
        }
        const char *under = strrchr(f.name, '_');
        if (k == 1) {
            r->hz = ebl_unit_hz(f.unit);
        }
        if (k > 1 && (!under || read_real(&r->z[k - 2], under + 1))) {
            return error_set(err, "%.300s: column '%.60s' names no redshift (z_0.01)", r->name, f.name);
        }
        for (int i = 0; i < r->n; i++)
            ebl_row_of(r, i)[k - 1] = ebl_element(h, &f, i, 0);
    }
    return 0;
}

/* A FITS file in memory. */
static inline int ebl_fits(ebl_table *e, const unsigned char *data, size_t size, const char *name, char *err) {
    ebl_rows r = {.name = name};
    ebl_hdu h;
    ebl_hdu energies = {.data = NULL};
    ebl_hdu spectra = {.data = NULL};
    ebl_hdu table = {.data = NULL};
    for (const unsigned char *at = data; at < data + size && !ebl_hdu_at(&h, at, data + size); at = h.next) {
        char extension[FITS_CARD];
        ebl_card(extension, &h, "EXTNAME");
        if (!strcasecmp(extension, "ENERGIES")) {
            energies = h;
        }
        if (!strcasecmp(extension, "SPECTRA")) {
            spectra = h;
        }
        if (h.fields > 2 && !table.data) {
            table = h;
        }
    }
    int bad = 0;
    if (energies.data && spectra.data) {
        bad = ebl_xspec(&r, &energies, &spectra, err);
    } else if (table.data && table.fields <= FITS_FIELDS) {
        bad = ebl_columns(&r, &table, err);
    } else {
        bad = error_set(err, "%.300s: a FITS file without ENERGIES and SPECTRA, and without a table of tau", name);
    }
    bad = bad || ebl_finish(e, &r, err);
    ebl_rows_free(&r);
    if (bad) {
        ebl_free(e);
    }
    return bad ? -1 : 0;
}

/* ==== the readers ================================================================================================= */

enum { EBL_SHIPPED = 2 };
static const char *const ebl_shipped[EBL_SHIPPED] = {"dominguez2011", "saldana2021"};

/* The path of a shipped table by its name, "dominguez2011": ebl_NAME.csv in $BML_EBL, in examples/data beside the
   program's own folder, in share/bml beside it, or in examples/data. A name that is a file is that file. 0, or -1 and
   a line in err. */
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
        if (!places[i] || strchr(name, '/')) {
            continue;
        }
        snprintf(path, size, "%.900s/ebl_%.60s.csv", places[i], name);
        if (!access(path, R_OK)) {
            return 0;
        }
    }
    snprintf(path, size, "%.1000s", name);
    if (!access(path, R_OK)) {
        return 0;
    }
    for (int i = 0; i < EBL_SHIPPED; i++)
        if (!strcmp(name, ebl_shipped[i])) {
            return error_set(
                err,
                "%s: ebl_%s.csv of bml is not found beside the program; give its path, or its folder in the "
                "environment as BML_EBL",
                name, name);
        }
    return error_set(err, "%.200s: neither a file nor a model of the background light (%s, %s)", name, ebl_shipped[0],
                     ebl_shipped[1]);
}

/* From memory. */
static inline int ebl_read_memory(ebl_table *e, const void *data, size_t size, const char *name, char *err) {
    text_file t;
    memset(e, 0, sizeof *e);
    if (size >= 9 && !memcmp(data, "SIMPLE  =", 9)) {
        return ebl_fits(e, data, size, name, err);
    }
    if (size >= 2 && !memcmp(data, "\x1f\x8b", 2)) {
        return error_set(err, "%.300s: is compressed: gunzip it first", name);
    }
    return text_copy(&t, data, size, name, err) ? -1 : ebl_text(e, &t, err);
}

/* 0, or -1 and a line in err; the table is then empty. "-" is standard input. */
static inline int ebl_read(ebl_table *e, const char *path, char *err) {
    size_t size;
    memset(e, 0, sizeof *e);
    char *data = file_read(&size, path, err);
    if (!data) {
        return -1;
    }
    const int bad = ebl_read_memory(e, data, size, strcmp(path, "-") ? path : "standard input", err);
    free(data);
    return bad;
}
#endif
