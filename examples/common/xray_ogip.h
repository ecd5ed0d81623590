/* xray_ogip.h: the FITS files of X-ray astronomy, for xray.h, which includes it: do not include it yourself.

     xray_pha_read          PHA, type I, or one row of type II: COUNTS or RATE, GROUPING, QUALITY, EXPOSURE, BACKSCAL,
                            AREASCAL, SYS_ERR (column or keyword; of the primary header where the table has none),
                            STAT_ERR where POISSERR is not true, and the names BACKFILE, RESPFILE, ANCRFILE, taken
                            beside the file
     xray_pha_write         the same, with CHANNEL, COUNTS, GROUPING
     xray_response_read     RMF: EBOUNDS, and every MATRIX or SPECRESP MATRIX with N_GRP, F_CHAN, N_CHAN, MATRIX, each
                            of fixed or variable length; TLMIN of F_CHAN says which channel number is the first, and
                            where it is absent EBOUNDS does. ARF: SPECRESP over the same energies. Units by TUNIT
     xray_absorption_read   a table of cross-sections

   Names are those of files; NAME[2] is the second extension, NAME[SPECTRUM] the one called so, NAME{3} the third
   spectrum of a type II file, NAME[1]{3} both. NAME.gz is read for NAME where that is absent.
   A file may hold several SPECTRUM extensions: HDUCLAS2 says which is the source's (TOTAL, NET or nothing) and which
   is background (BKG).
   OGIP memos OGIP/92-007 (spectra) and CAL/GEN/92-002 (responses). Nothing in a file is believed: sizes are bounded,
   spans must lie in the matrix, numbers must be finite. What a reader decides without being asked stands in `note` of
   the object. cfitsio keeps global state: call these from one thread at a time. */
#ifndef XRAY_OGIP_H
#define XRAY_OGIP_H

static inline int xray_no_cfitsio(const char *path, char *err) {
    return error_set(err, "%.300s: this program was built without cfitsio (Debian: libcfitsio-dev), which reads FITS",
                     path);
}

#ifdef BML_XRAY_USE_CFITSIO
/* A name taken apart: file, extension (number or name; "" for none), row of a type II table (0: none). */
typedef struct xray_address {
    char file[PATH_SIZE], hdu[80];
    int row;
} xray_address;

/* Cuts "[...]" or "{...}" off the end of a name; NULL where it has none. */
static inline char *xray_address_part(char *name, char open, char close) {
    size_t n = strlen(name);
    char *at = n && name[n - 1] == close ? strrchr(name, open) : NULL;
    if (!at || at == name) {
        return NULL;
    }
    name[n - 1] = 0;
    *at = 0;
    return at + 1;
}

static inline xray_address xray_address_of(const char *path) {
    xray_address a = {"", "", 0};
    FILE *whole = fopen(path, "rb");
    snprintf(a.file, sizeof a.file, "%.1020s", path);
    if (whole) { /* a file may be called like that */
        fclose(whole);
        return a;
    }
    const char *row = xray_address_part(a.file, '{', '}');
    const char *hdu = xray_address_part(a.file, '[', ']');
    long number = 0;
    if (row) {
        a.row = read_integer(&number, row) || number < 1 || number > INT_MAX ? -1 : (int)number;
    }
    if (hdu) {
        snprintf(a.hdu, sizeof a.hdu, "%.79s", hdu);
    }
    return a;
}

/* An open file whose first error sticks: later calls do nothing. */
typedef struct xray_fits {
    fitsfile *f;
    int status;
    const char *path;
    char what[80]; /* what was being done when it went wrong */
    xray_address address;
    int row; /* of a type II table; 0: columns hold one channel a row */
} xray_fits;

static inline void xray_fits_open(xray_fits *x, const char *path) {
    memset(x, 0, sizeof *x);
    x->path = path;
    x->address = xray_address_of(path);
    strcpy(x->what, "read the file");
    if (x->address.row < 0) {
        x->status = BAD_ROW_NUM;
    }
    fits_open_diskfile(&x->f, x->address.file, READONLY, &x->status);
}

/* Closes; returns 0, or -1 with the line of text when anything went wrong since the opening. */
static inline int xray_fits_close(xray_fits *x, char *err) {
    char text[FLEN_STATUS] = "";
    int ignored = 0;
    if (x->status) {
        fits_get_errstatus(x->status, text);
    }
    if (x->f) {
        fits_close_file(x->f, &ignored);
    }
    fits_clear_errmsg();
    return x->status ? error_set(err, "%.300s: cannot %s: %s", x->path, x->what, text) : 0;
}

/* Ends with a message of one's own. */
COMMON_PRINTF(3, 4) static inline int xray_fits_fail(xray_fits *x, char *err, const char *fmt, ...) {
    char text[ERROR_SIZE];
    if (x->status) {
        return xray_fits_close(x, err);
    }
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    xray_fits_close(x, err);
    return error_set(err, "%.250s: %.240s", x->path, text);
}

/* A number from the header, or `otherwise` where the key is absent. */
static inline double xray_fits_key(xray_fits *x, const char *key, double otherwise) {
    double value = otherwise;
    int status = 0;
    if (x->status) {
        return otherwise;
    }
    if (fits_read_key(x->f, TDOUBLE, key, &value, NULL, &status) == KEY_NO_EXIST || status == VALUE_UNDEFINED) {
        fits_clear_errmsg();
        return otherwise;
    }
    if (status) {
        x->status = status;
        snprintf(x->what, sizeof x->what, "read keyword %.20s", key);
    }
    return value;
}

static inline int xray_fits_has(xray_fits *x, const char *key) {
    char value[FLEN_VALUE];
    int status = 0;
    if (x->status || fits_read_keyword(x->f, key, value, NULL, &status)) {
        fits_clear_errmsg();
    }
    return !x->status && !status;
}

/* The same from this extension, or where that is silent from the primary header. */
static inline double xray_fits_key_any(xray_fits *x, const char *key, double otherwise) {
    int here = 1;
    int ignored = 0;
    if (x->status || xray_fits_has(x, key)) {
        return xray_fits_key(x, key, otherwise);
    }
    fits_get_hdu_num(x->f, &here);
    fits_movabs_hdu(x->f, 1, NULL, &x->status);
    double value = xray_fits_key(x, key, otherwise);
    fits_movabs_hdu(x->f, here, &ignored, &x->status);
    return value;
}

/* A logical keyword: 1, 0, or -1 where it is absent. */
static inline int xray_fits_logical(xray_fits *x, const char *key) {
    int value = 0;
    int status = 0;
    if (x->status || fits_read_key(x->f, TLOGICAL, key, &value, NULL, &status)) {
        fits_clear_errmsg();
        return -1;
    }
    return value != 0;
}

/* A text from the header; "" where the key is absent or says none. */
static inline void xray_fits_text(xray_fits *x, const char *key, char *value) {
    char text[FLEN_VALUE] = "";
    int status = 0;
    value[0] = 0;
    if (x->status || fits_read_key(x->f, TSTRING, key, text, NULL, &status)) {
        fits_clear_errmsg();
    } else if (strcasecmp(trim(text), "none")) {
        snprintf(value, FLEN_VALUE, "%s", trim(text));
    }
}

/* A file's name from the header, however long, into value[PATH_SIZE]; "" where the key is absent or says none. */
static inline void xray_fits_path(xray_fits *x, const char *key, char *value) {
    char *text = NULL;
    int status = 0;
    value[0] = 0;
    if (x->status || fits_read_key_longstr(x->f, key, &text, NULL, &status)) {
        fits_clear_errmsg();
    } else if (strcasecmp(trim(text), "none")) {
        snprintf(value, PATH_SIZE, "%.1000s", trim(text));
    }
    free(text);
}

/* Is this a table called by one of the names (NULL ends them) or with class_key = class_name? */
static inline int xray_fits_is(xray_fits *x, const char *const *names, const char *class_key, const char *class_name) {
    char name[FLEN_VALUE];
    char kind[FLEN_VALUE];
    int type = 0;
    fits_get_hdu_type(x->f, &type, &x->status);
    if (x->status || (type != BINARY_TBL && type != ASCII_TBL)) {
        return 0;
    }
    xray_fits_text(x, "EXTNAME", name);
    xray_fits_text(x, class_key, kind);
    for (int k = 0; names[k]; k++)
        if (!strcasecmp(name, names[k])) {
            return 1;
        }
    return !strcasecmp(kind, class_name);
}

/* Goes to the extension that the file's name asks for. Returns its number, 0. */
static inline int xray_fits_asked(xray_fits *x) {
    long number = 0;
    int here = 0;
    int text = read_integer(&number, x->address.hdu) != NULL;
    if (x->status) {
        return 0;
    }
    snprintf(x->what, sizeof x->what, "find extension [%.40s]", x->address.hdu);
    if (text) {
        fits_movnam_hdu(x->f, ANY_HDU, x->address.hdu, 0, &x->status);
    } else {
        fits_movabs_hdu(x->f, number < 0 || number > 100000 ? -1 : (int)number + 1, NULL, &x->status);
    }
    if (!x->status) {
        fits_get_hdu_num(x->f, &here);
    }
    return here;
}

/* Goes to the first such table after HDU `after`, or to the one that is asked for. Returns its number, 0. */
static inline int xray_fits_table_after(xray_fits *x, int after, const char *const *names, const char *class_key,
                                        const char *class_name) {
    int n = 0;
    if (!x->status) {
        fits_get_num_hdus(x->f, &n, &x->status);
    }
    for (int i = after + 1; i <= n && !x->status; i++) {
        if (fits_movabs_hdu(x->f, i, NULL, &x->status)) {
            break;
        }
        if (xray_fits_is(x, names, class_key, class_name)) {
            return i;
        }
    }
    return 0;
}

static inline int xray_fits_table(xray_fits *x, const char *const *names, const char *class_key,
                                  const char *class_name) {
    return x->address.hdu[0] ? xray_fits_asked(x) : xray_fits_table_after(x, 1, names, class_key, class_name);
}

static inline long xray_fits_rows(xray_fits *x) {
    long n = 0;
    if (!x->status) {
        fits_get_num_rows(x->f, &n, &x->status);
    }
    return x->status ? 0 : n;
}

/* Number of a column, 0 where it is absent. */
static inline int xray_fits_column(xray_fits *x, const char *name) {
    char copy[40];
    int column = 0;
    int status = 0;
    snprintf(copy, sizeof copy, "%s", name);
    if (x->status || fits_get_colnum(x->f, CASEINSEN, copy, &column, &status)) {
        fits_clear_errmsg();
    }
    return status && status != COL_NOT_UNIQUE ? 0 : column;
}

/* n numbers of a column, from a row (from 1) on; the column must be there. type: TDOUBLE, TINT, TFLOAT. */
static inline void xray_fits_read(xray_fits *x, const char *name, int type, long row, long n, void *out) {
    if (x->status || n <= 0) {
        return;
    }
    snprintf(x->what, sizeof x->what, "read column %.30s", name);
    int column = xray_fits_column(x, name);
    if (!column) {
        x->status = COL_NOT_FOUND;
    }
    fits_read_col(x->f, type, column, row, 1, n, NULL, out, NULL, &x->status);
}

/* What may follow an area: "count/photon" in any spelling, as the response counts them. */
static inline int xray_unit_is_response(const char *text) {
    static const char *const words[] = {"count",   "counts", "ct",   "cts",   "photon",
                                        "photons", "ph",     "phot", "phots", NULL};
    if (*text && !strchr(" .*/", *text)) {
        return 0;
    }
    while (*text) {
        size_t n = 0;
        int known = 0;
        text += strspn(text, " .*/^()-1");
        while (text[n] && !strchr(" .*/^()-1", text[n])) {
            n++;
        }
        for (int k = 0; words[k]; k++)
            known |= strlen(words[k]) == n && !strncasecmp(text, words[k], n);
        if (*text && !known) {
            return 0;
        }
        text += n;
    }
    return 1;
}

/* keV (or cm2 for an area) in one of the column's units; 0, with the error's text, where the unit is not known. */
static inline double xray_fits_unit(xray_fits *x, const char *column, int area, char *err) {
    static const struct {
        const char *name;
        double value;
    } units[2][13] = {{{"", 1},
                       {"keV", 1},
                       {"eV", 1e-3},
                       {"MeV", 1e3},
                       {"GeV", 1e6},
                       {"TeV", 1e9},
                       {"PeV", 1e12},
                       {"erg", 624150907.446},
                       {"Hz", 4.135667696e-18},
                       {"chan", 1},
                       {"J", 6.24150907446e15},
                       {"kJ", 6.24150907446e18},
                       {"channel", 1}},
                      {{"", 1},
                       {"cm**2", 1},
                       {"cm^2", 1},
                       {"cm2", 1},
                       {"m**2", 1e4},
                       {"m^2", 1e4},
                       {"m2", 1e4},
                       {"cm**(2)", 1},
                       {"cm", 1},
                       {"sq cm", 1},
                       {"mm**2", 1e-2},
                       {"mm^2", 1e-2},
                       {"mm2", 1e-2}}};
    char key[FLEN_KEYWORD];
    char unit[FLEN_VALUE];
    snprintf(key, sizeof key, "TUNIT%d", xray_fits_column(x, column));
    xray_fits_text(x, key, unit);
    for (int i = 0; i < 13; i++) {
        size_t n = strlen(units[area][i].name);
        if (!strcasecmp(unit, units[area][i].name)) {
            return units[area][i].value;
        }
        if (area && !strncasecmp(unit, units[area][i].name, n) && xray_unit_is_response(unit + n)) {
            return units[area][i].value;
        }
    }
    error_set(err, "%.300s: column %s: its unit '%.60s' is not known here", x->path, column, unit);
    return 0;
}

/* n numbers of one spectrum: a column of a type I table, or of the row of a type II table, where a single number
   stands for all channels. What is undefined in the file becomes NaN. */
static inline void xray_spectrum_read(xray_fits *x, const char *name, int n, double *out) {
    double nothing = (double)NAN;
    int type = 0;
    LONGLONG repeat = 1;
    LONGLONG at = 0;
    int any = 0;
    if (x->status || n <= 0) {
        return;
    }
    snprintf(x->what, sizeof x->what, "read column %.30s", name);
    int column = xray_fits_column(x, name);
    if (!column) {
        x->status = COL_NOT_FOUND;
    }
    if (x->row) {
        fits_get_coltypell(x->f, column, &type, &repeat, NULL, &x->status);
    }
    if (x->row && type < 0) {
        fits_read_descriptll(x->f, column, x->row, &repeat, &at, &x->status);
    }
    if (x->row && !x->status && repeat != 1 && repeat < n) {
        x->status = BAD_DIMEN;
    }
    long wanted = x->row && repeat == 1 ? 1 : n;
    fits_read_col(x->f, TDOUBLE, column, x->row ? x->row : 1, 1, wanted, &nothing, out, &any, &x->status);
    for (long i = wanted; i < n && !x->status; i++)
        out[i] = out[0];
}

/* A column of n numbers, or the keyword of that name in all of them, or `otherwise`. NULL without memory. */
static inline double *xray_fits_filled(xray_fits *x, const char *name, int n, double otherwise) {
    double *v = xray_alloc((size_t)n, sizeof *v);
    if (!v) {
        return NULL;
    }
    if (xray_fits_column(x, name)) {
        xray_spectrum_read(x, name, n, v);
        return v;
    }
    double value = xray_fits_key_any(x, name, otherwise);
    for (int i = 0; i < n; i++)
        v[i] = value;
    return v;
}

/* The same for whole numbers that may be absent: *v stays NULL then. undefined: what an undefined or huge one is. */
static inline int xray_fits_flags(int **v, xray_fits *x, const char *name, int n, int undefined) {
    if (!xray_fits_column(x, name) && !(fabs(xray_fits_key(x, name, 0)) > 0)) {
        return 0;
    }
    *v = xray_alloc((size_t)n, sizeof **v);
    double *real = xray_fits_filled(x, name, n, 0);
    for (int i = 0; i < n && *v && real; i++)
        (*v)[i] = fabs(real[i]) < 1e6 ? (int)real[i] : undefined;
    int bad = !*v || !real;
    free(real);
    return bad ? -1 : 0;
}

/* A file named in another: beside it unless absolute. */
static inline void xray_beside(char *path, const char *file, const char *name) {
    const char *slash = strrchr(file, '/');
    int folder = slash && *name != '/' ? (int)(slash - file) + 1 : 0;
    path[0] = 0;
    if (*name && snprintf(path, PATH_SIZE, "%.*s%s", folder < PATH_SIZE ? folder : 0, file, name) >= PATH_SIZE) {
        path[0] = 0;
    }
}

/* The first channel's number; *gap: the row (from 1) that does not follow the one before, 0 for none; negative where
   most rows do not, and the column says nothing. Where there is a gap the number is TLMIN's, or 1. */
static inline int xray_fits_channels(int *first, int *gap, xray_fits *x, int n, char *err) {
    char key[FLEN_KEYWORD];
    int column = xray_fits_column(x, "CHANNEL");
    *first = 1;
    *gap = 0;
    if (!column) {
        return 0;
    }
    double *channel = xray_alloc((size_t)n, sizeof *channel);
    if (!channel) {
        return error_set(err, "out of memory");
    }
    xray_spectrum_read(x, "CHANNEL", n, channel);
    int jumps = 0;
    for (int i = 1; i < n; i++) {
        int follows = fabs(channel[i] - channel[i - 1] - 1) <= 0;
        if (!follows && !*gap) {
            *gap = i + 1;
        }
        jumps += !follows;
    }
    if (2 * jumps > n) {
        *gap = -*gap;
    }
    snprintf(key, sizeof key, "TLMIN%d", column);
    double number = *gap ? xray_fits_key(x, key, 1) : channel[0];
    free(channel);
    if (x->status) {
        return 0;
    }
    if (!(fabs(number) < 1e6)) {
        return error_set(err, "%.300s: the first channel is %g", x->path, number);
    }
    *first = (int)number;
    return 0;
}

/* Standard deviations where the file has them and says that counts are not Poisson's (POISSERR false, or absent beside
   STAT_ERR), or where a rate has nothing else. */
static inline int xray_pha_errors(xray_pha *p, xray_fits *x, int is_rate, char *err) {
    int given = xray_fits_column(x, "STAT_ERR") || fabs(xray_fits_key(x, "STAT_ERR", 0)) > 0;
    int poisson = xray_fits_logical(x, "POISSERR");
    double scale = is_rate ? p->exposure : 1;
    p->exact = !p->net;
    if (given && (poisson != 1 || is_rate)) {
        p->error = xray_fits_filled(x, "STAT_ERR", p->n, 0);
        if (!p->error) {
            return error_set(err, "out of memory");
        }
        for (int i = 0; i < p->n; i++)
            p->error[i] *= scale;
    }
    for (int i = 0; i < p->n && p->exact; i++) { /* a rate of Poisson's counts gives them back, to single precision */
        double near = floor(p->counts[i] + 0.5);
        double off = fabs(p->counts[i] - near);
        if (p->counts[i] < 0 || (off > 1e-3 && off > 1e-6 * near)) {
            p->exact = 0;
        }
    }
    for (int i = 0; i < p->n && p->exact; i++)
        p->counts[i] = floor(p->counts[i] + 0.5);
    if (is_rate && !p->error && (poisson == 0 || !p->exact)) {
        return error_set(err, "%.300s: RATE without STAT_ERR that is no rate of whole counts", x->path);
    }
    if (is_rate && poisson != 1) {
        p->exact = 0;
    }
    return 0;
}

/* Channels that the file calls bad may hold anything: it is taken out. In good ones numbers must make sense. */
static inline int xray_pha_check(xray_pha *p, const xray_fits *x, const char *counts, char *err) {
    int empty = 0;
    int left = 0;
    for (int i = 0; i < p->n; i++) {
        int bad = p->quality && p->quality[i];
        int scaled = p->back_scale[i] > 0 && p->area_scale[i] > 0 && p->back_scale[i] < 1e30;
        int number = fabs(p->counts[i]) < 1e15 && p->systematic[i] >= 0 && p->systematic[i] < 1e6 &&
                     (!p->error || (p->error[i] >= 0 && p->error[i] < 1e15));
        int dark = !(fabs(p->area_scale[i]) > 0) || !(fabs(p->back_scale[i]) > 0); /* zero: no area here */
        left += scaled;
        if (scaled && number) {
            continue;
        }
        if (!bad && scaled && !(fabs(p->counts[i]) < 1e15)) {
            return error_set(err, "%.300s: row %d: %s are %g", x->path, i + 1, counts, p->counts[i]);
        }
        if (!bad && scaled) {
            return error_set(err, "%.300s: row %d: negative error", x->path, i + 1);
        }
        if (!bad && !(dark && p->area_scale[i] >= 0 && p->back_scale[i] >= 0)) {
            return error_set(err, "%.300s: row %d: %s must be positive", x->path, i + 1,
                             p->back_scale[i] > 0 ? "AREASCAL" : "BACKSCAL");
        }
        if (!p->quality && !(p->quality = xray_alloc((size_t)p->n, sizeof(int)))) {
            return error_set(err, "out of memory");
        }
        empty += !bad;
        if (i == p->n - 1 && !left) { /* not a channel's matter */
            return error_set(err, "%.300s: row 1: %s must be positive", x->path,
                             fabs(p->area_scale[i]) > 0 ? "BACKSCAL" : "AREASCAL");
        }
        p->quality[i] = XRAY_UNUSABLE;
        p->counts[i] = p->systematic[i] = 0;
        p->area_scale[i] = p->back_scale[i] = 1;
        if (p->error) {
            p->error[i] = 0;
        }
    }
    if (empty) {
        xray_note(p->note, "%d channels whose AREASCAL or BACKSCAL is 0 are left out", empty);
    }
    for (int i = 0; i < p->n; i++)
        if (p->counts[i] < 0 && !p->error) {
            return error_set(err, "%.300s: row %d: %s are %g, and no STAT_ERR is there", x->path, i + 1, counts,
                             p->counts[i]);
        }
    return 0;
}

/* COUNTS is a number, RATE one per second: a unit that says otherwise is refused. */
static inline int xray_pha_unit(xray_fits *x, const char *column, int is_rate, char *err) {
    static const char *const others[] = {"ks", "min", "hour", "/h", "keV", "chan", "cm", "/ms", NULL};
    static const char *const rates[] = {"/s", "s-1", "s**-1", "s^-1", "s**(-1)", "s^(-1)", NULL};
    char key[FLEN_KEYWORD];
    char unit[FLEN_VALUE];
    int wrong = 0;
    snprintf(key, sizeof key, "TUNIT%d", xray_fits_column(x, column));
    xray_fits_text(x, key, unit);
    for (int k = 0; others[k] && is_rate; k++)
        wrong |= strstr(unit, others[k]) != NULL;
    for (int k = 0; rates[k] && !is_rate; k++)
        wrong |= strstr(unit, rates[k]) != NULL;
    if (!wrong) {
        return 0;
    }
    return error_set(err, "%.300s: column %s: its unit is '%.60s', not %s", x->path, column, unit,
                     is_rate ? "count/s" : "count");
}

/* What the file says and only some fits use, or none. */
static inline void xray_pha_unused(xray_pha *p, xray_fits *x) {
    char correction[FLEN_VALUE];
    double sum = 0;
    int n = 0;
    xray_fits_text(x, "CORRFILE", correction);
    if (*correction && fabs(xray_fits_key(x, "CORRSCAL", 1)) > 0) {
        xray_note(p->note, "the correction %.60s (CORRFILE) is not subtracted", correction);
    }
    for (int i = 0; i < p->n && p->error; i++) {
        if (p->counts[i] >= 20 && !(p->quality && p->quality[i])) {
            sum += p->error[i] / sqrt(p->counts[i]);
            n++;
        }
    }
    double ratio = n ? sum / n : 1;
    if (p->exact && fabs(log(ratio)) > log(1.25)) { /* 1 + sqrt(N + 0.75) is 1.25 times sqrt(N) at 20, and less above */
        xray_note(p->note, "its STAT_ERR is %.3g times Poisson's, which only --stat chi2 uses", ratio);
    }
}

/* The columns of a PHA file into p, which has room. */
static inline int xray_pha_columns(xray_pha *p, xray_fits *x, char *err) {
    const char *counts = xray_fits_column(x, "COUNTS") ? "COUNTS" : "RATE";
    int is_rate = !strcmp(counts, "RATE");
    int gap;
    if (xray_fits_channels(&p->first_channel, &gap, x, p->n, err)) {
        return -1;
    }
    if (gap && !x->status) {
        return error_set(err, "%.300s: row %d: channels must follow each other without gaps", x->path, abs(gap));
    }
    if (xray_pha_unit(x, counts, is_rate, err)) {
        return -1;
    }
    xray_spectrum_read(x, counts, p->n, p->counts);
    free(p->area_scale);
    free(p->back_scale);
    p->area_scale = xray_fits_filled(x, "AREASCAL", p->n, 1);
    p->back_scale = xray_fits_filled(x, "BACKSCAL", p->n, 1);
    p->systematic = xray_fits_filled(x, "SYS_ERR", p->n, 0);
    if (!p->area_scale || !p->back_scale || !p->systematic || xray_fits_flags(&p->grouping, x, "GROUPING", p->n, 0) ||
        xray_fits_flags(&p->quality, x, "QUALITY", p->n, XRAY_UNUSABLE)) {
        return error_set(err, "out of memory");
    }
    for (int i = 0; i < p->n && is_rate; i++)
        p->counts[i] *= p->exposure;
    if (xray_pha_errors(p, x, is_rate, err)) {
        return -1;
    }
    if (x->status) {
        return 0;
    }
    if (xray_pha_check(p, x, counts, err)) {
        return -1;
    }
    xray_pha_unused(p, x);
    return 0;
}

/* Goes to the table of the spectrum: of a source (HDUCLAS2 is not BKG), or of background (BKG, where there is one). */
static inline int xray_pha_table(xray_fits *x, int background, char *note) {
    static const char *const names[] = {"SPECTRUM", NULL};
    char kind[FLEN_VALUE];
    int source = 0;
    int dark = 0;
    int sources = 0;
    if (x->address.hdu[0]) {
        return xray_fits_asked(x);
    }
    for (int at = 1; (at = xray_fits_table_after(x, at, names, "HDUCLAS1", "SPECTRUM")) > 0;) {
        xray_fits_text(x, "HDUCLAS2", kind);
        int is_dark = !strcasecmp(kind, "BKG");
        if (is_dark && !dark) {
            dark = at;
        }
        if (!is_dark && !source) {
            source = at;
        }
        sources += !is_dark;
    }
    if (sources > 1 && !(background && dark)) {
        xray_note(note, "%.200s holds %d spectra: the first is taken, others are called file[2] and so on", x->path,
                  sources);
    }
    int chosen = background ? (dark ? dark : source) : (source ? source : dark);
    if (chosen) {
        fits_movabs_hdu(x->f, chosen, NULL, &x->status);
    }
    return chosen;
}

/* Channels of the spectrum; type II: sets x->row. -1 with err for what is no spectrum. */
static inline long xray_pha_channels(xray_fits *x, char *err) {
    int column = xray_fits_column(x, xray_fits_column(x, "COUNTS") ? "COUNTS" : "RATE");
    int type = 0;
    LONGLONG repeat = 1;
    LONGLONG at = 0;
    long rows = xray_fits_rows(x);
    if (x->status) {
        return 0;
    }
    if (!column) {
        return error_set(err, "%.300s: no column COUNTS, no column RATE", x->path);
    }
    fits_get_coltypell(x->f, column, &type, &repeat, NULL, &x->status);
    if (type >= 0 && repeat <= 1 && !xray_fits_column(x, "SPEC_NUM")) {
        if (x->address.row) {
            return error_set(err, "%.300s: is of type I: there is no {%d}", x->path, x->address.row);
        }
        return rows;
    }
    if (!x->address.row && rows > 1) {
        return error_set(err, "%.200s: is of type II: say which of its %ld spectra, as %.100s{1}", x->path, rows,
                         x->path);
    }
    x->row = x->address.row ? x->address.row : 1;
    if (x->row > rows) {
        return error_set(err, "%.300s: has %ld spectra: there is no {%d}", x->path, rows, x->row);
    }
    if (type < 0) {
        fits_read_descriptll(x->f, column, x->row, &repeat, &at, &x->status);
    }
    return repeat > XRAY_MAX_CHANNELS ? XRAY_MAX_CHANNELS + 1L : (long)repeat;
}

/* A file's name from the row's column, or from a header, as seen from here. */
static inline void xray_pha_named(char *path, xray_fits *x, const char *key) {
    char text[PATH_SIZE] = "";
    char *cell = text;
    int column = x->row ? xray_fits_column(x, key) : 0;
    int width = 0;
    int here = 1;
    int any = 0;
    if (column) {
        fits_get_col_display_width(x->f, column, &width, &x->status);
        if (width < PATH_SIZE) {
            fits_read_col(x->f, TSTRING, column, x->row, 1, 1, NULL, &cell, &any, &x->status);
        }
        snprintf(text, sizeof text, "%.1000s", strcasecmp(trim(text), "none") ? trim(text) : "");
    } else if (xray_fits_has(x, key)) {
        xray_fits_path(x, key, text);
    } else if (!x->status) {
        fits_get_hdu_num(x->f, &here);
        fits_movabs_hdu(x->f, 1, NULL, &x->status);
        xray_fits_path(x, key, text);
        fits_movabs_hdu(x->f, here, NULL, &x->status);
    }
    xray_beside(path, x->address.file, text);
}

/* EXPOSURE: of the row, the table or the primary header. */
static inline double xray_pha_exposure(xray_fits *x) {
    double exposure = (double)NAN;
    if (x->row && xray_fits_column(x, "EXPOSURE")) {
        xray_spectrum_read(x, "EXPOSURE", 1, &exposure);
    } else {
        exposure = xray_fits_key_any(x, "EXPOSURE", (double)NAN);
    }
    return exposure;
}

/* The spectrum in an open file; x is the caller's to close where err is set without x->status. */
static inline int xray_pha_open(xray_pha *p, xray_fits *x, int background, char *err) {
    char kind[FLEN_VALUE];
    char note[XRAY_NOTE] = "";
    int hdu = xray_pha_table(x, background, note);
    if (x->status) {
        return -1;
    }
    if (!hdu) {
        return error_set(err, "%.300s: no extension SPECTRUM: not a PHA file", x->path);
    }
    long n = xray_pha_channels(x, err);
    if (n < 0 || x->status) {
        return -1;
    }
    if (n < 1 || n > XRAY_MAX_CHANNELS) {
        return error_set(err, "%.300s: %ld channels", x->path, n);
    }
    double exposure = xray_pha_exposure(x);
    if (x->status) {
        return -1;
    }
    if (!(exposure > 0 && exposure < 1e30)) {
        return error_set(err, "%.300s: EXPOSURE %g s must be there, and positive", x->path, exposure);
    }
    if (xray_pha_room(p, (int)n, 0, exposure, err)) {
        return -1;
    }
    snprintf(p->name, sizeof p->name, "%.1000s", x->path);
    memcpy(p->note, note, sizeof note);
    xray_fits_text(x, "HDUCLAS2", kind);
    p->net = !strcasecmp(kind, "NET");
    p->hdu = hdu;
    xray_pha_named(p->background, x, "BACKFILE");
    xray_pha_named(p->rmf, x, "RESPFILE");
    xray_pha_named(p->arf, x, "ANCRFILE");
    return xray_pha_columns(p, x, err);
}

/* Reads a spectrum, of a source or (background = 1) of background. Free it with xray_pha_free. */
static inline int xray_pha_read_as(xray_pha *p, const char *path, int background, char *err) {
    char ignored[ERROR_SIZE];
    memset(p, 0, sizeof *p);
    xray_fits x;
    xray_fits_open(&x, path);
    int bad = x.status ? -1 : xray_pha_open(p, &x, background, err);
    int told = bad && !x.status; /* err says it already */
    bad |= xray_fits_close(&x, told ? ignored : err);
    if (bad) {
        xray_pha_free(p);
    }
    return bad ? -1 : 0;
}

static inline int xray_pha_read(xray_pha *p, const char *path, char *err) {
    return xray_pha_read_as(p, path, 0, err);
}

/* Writes a spectrum, overwriting: CHANNEL, COUNTS, and GROUPING where p has it. rmf and arf: names to be kept in it,
   seen from its own folder. */
static inline int xray_pha_write(const xray_pha *p, const char *path, const char *rmf, const char *arf, char *err) {
    char part[PATH_SIZE + 8];
    char *type[] = {"CHANNEL", "COUNTS", "GROUPING"};
    char *form[] = {"J", "J", "I"};
    char *unit[] = {"", "count", ""};
    const char *keys[][2] = {{"TELESCOP", "none"},
                             {"INSTRUME", "none"},
                             {"FILTER", "none"},
                             {"BACKFILE", "none"},
                             {"CORRFILE", "none"},
                             {"RESPFILE", rmf ? rmf : "none"},
                             {"ANCRFILE", arf ? arf : "none"},
                             {"HDUCLASS", "OGIP"},
                             {"HDUCLAS1", "SPECTRUM"},
                             {"HDUVERS", "1.2.1"},
                             {"CHANTYPE", "PI"}};
    double exposure = p->exposure;
    double one = 1;
    double zero = 0;
    int yes = 1;
    int n = p->n;
    int columns = p->grouping ? 3 : 2;
    xray_fits x = {.path = path, .what = "write the file"};
    snprintf(part, sizeof part, "%.1000s.part", path);
    remove(part);
    fits_create_diskfile(&x.f, part, &x.status);
    fits_create_tbl(x.f, BINARY_TBL, n, columns, type, form, unit, "SPECTRUM", &x.status);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        fits_write_key_longstr(x.f, keys[i][0], keys[i][1], NULL, &x.status);
    fits_write_key(x.f, TDOUBLE, "EXPOSURE", &exposure, "[s]", &x.status);
    fits_write_key(x.f, TDOUBLE, "AREASCAL", &one, NULL, &x.status);
    fits_write_key(x.f, TDOUBLE, "BACKSCAL", &one, NULL, &x.status);
    fits_write_key(x.f, TDOUBLE, "CORRSCAL", &zero, NULL, &x.status);
    fits_write_key(x.f, TINT, "DETCHANS", &n, NULL, &x.status);
    fits_write_key(x.f, TLOGICAL, "POISSERR", &yes, NULL, &x.status);
    for (int i = 0; i < n; i++) {
        int channel = p->first_channel + i;
        fits_write_col(x.f, TINT, 1, i + 1, 1, 1, &channel, &x.status);
        fits_write_col(x.f, TDOUBLE, 2, i + 1, 1, 1, &p->counts[i], &x.status);
        if (p->grouping) {
            fits_write_col(x.f, TINT, 3, i + 1, 1, 1, &p->grouping[i], &x.status);
        }
    }
    if (xray_fits_close(&x, err)) {
        remove(part);
        return -1;
    }
    return rename(part, path) ? error_set(err, "%.300s: cannot write the file", path) : 0;
}

/* EBOUNDS: channels with their energies. Leaves r with e_min, e_max, n_channel, first_channel. */
static inline int xray_rmf_channels(xray_response *r, xray_fits *x, char *err) {
    static const char *const names[] = {"EBOUNDS", NULL};
    if (!xray_fits_table_after(x, 1, names, "HDUCLAS2", "EBOUNDS")) {
        return error_set(err, "%.300s: no extension EBOUNDS", x->path);
    }
    long n = xray_fits_rows(x);
    if (n < 1 || n > XRAY_MAX_CHANNELS) {
        return error_set(err, "%.300s: %ld channels", x->path, n);
    }
    r->n_channel = (int)n;
    r->e_min = xray_alloc((size_t)n, sizeof(double));
    r->e_max = xray_alloc((size_t)n, sizeof(double));
    if (!r->e_min || !r->e_max) {
        return error_set(err, "out of memory");
    }
    int gap;
    if (xray_fits_channels(&r->first_channel, &gap, x, r->n_channel, err)) {
        return -1;
    }
    xray_fits_read(x, "E_MIN", TDOUBLE, 1, n, r->e_min);
    xray_fits_read(x, "E_MAX", TDOUBLE, 1, n, r->e_max);
    double low = xray_fits_unit(x, "E_MIN", 0, err);
    double high = xray_fits_unit(x, "E_MAX", 0, err);
    if (x->status) {
        return 0;
    }
    if (!(low > 0) || !(high > 0)) {
        return -1;
    }
    for (int c = 0; c < n; c++) { /* an offset of the gain may put the first channels below zero */
        double a = fmax(low * r->e_min[c], 0);
        double b = fmax(high * r->e_max[c], 0);
        r->e_min[c] = fmin(a, b);
        r->e_max[c] = fmax(a, b);
    }
    if (!gap) {
        return 0;
    }
    int up = 0;
    int down = 0;
    for (int c = 1; c < n; c++) {
        up += r->e_min[c] >= r->e_min[c - 1] && r->e_max[c] > r->e_max[c - 1];
        down += r->e_max[c] <= r->e_max[c - 1] && r->e_min[c] < r->e_min[c - 1];
    }
    if (gap > 0 || (up != n - 1 && down != n - 1)) {
        return error_set(err, "%.300s: EBOUNDS row %d: channels must follow each other without gaps", x->path,
                         abs(gap));
    }
    xray_note(r->note, "%.150s: the CHANNEL column of EBOUNDS makes no sense: its rows are counted from %d", x->path,
              r->first_channel);
    return 0;
}

/* ENERG_LO and ENERG_HI of an RMF or ARF: edge[n+1] [keV], which must join. Returns NULL and err, or x->status set. */
static inline double *xray_fits_edges(xray_fits *x, int n, char *err) {
    double *lo = xray_alloc((size_t)n + 1, sizeof *lo);
    double *hi = xray_alloc((size_t)n, sizeof *hi);
    int gap = -1;
    int bad = !lo || !hi;
    if (bad) {
        error_set(err, "out of memory");
    }
    if (!bad) {
        xray_fits_read(x, "ENERG_LO", TDOUBLE, 1, n, lo);
        xray_fits_read(x, "ENERG_HI", TDOUBLE, 1, n, hi);
        double low = xray_fits_unit(x, "ENERG_LO", 0, err);
        double high = xray_fits_unit(x, "ENERG_HI", 0, err);
        bad = !x->status && (!(low > 0) || !(high > 0));
        for (int i = 0; i < n; i++) {
            lo[i] *= low;
            hi[i] *= high;
        }
        for (int i = 0; i + 1 < n && gap < 0; i++)
            if (!(fabs(lo[i + 1] - hi[i]) <= 1e-2 * fabs(hi[i] - lo[i]) + 1e-6 * fabs(hi[i]))) {
                gap = i;
            }
        lo[n] = hi[n - 1];
    }
    if (!bad && gap >= 0 && !x->status) {
        bad = 1;
        error_set(err, "%.300s: row %d: the energy bin does not begin where the one before ends", x->path, gap + 2);
    }
    free(hi);
    if (!bad) {
        return lo;
    }
    free(lo);
    return NULL;
}

/* N_GRP with its sum, and the room that F_CHAN, N_CHAN, MATRIX need. */
static inline int xray_rmf_sizes(xray_response *r, xray_fits *x, long *widest, char *err) {
    static const char *const columns[] = {"F_CHAN", "N_CHAN", "MATRIX"};
    size_t total = 0;
    int n = r->n_energy;
    xray_fits_read(x, "N_GRP", TINT, 1, n, r->row + 1);
    for (int i = 0; i < n && !x->status; i++) {
        if (r->row[i + 1] < 0 || r->row[i + 1] > r->n_channel) {
            return error_set(err, "%.300s: row %d: N_GRP is %d", x->path, i + 1, r->row[i + 1]);
        }
        if (r->row[i] > INT_MAX - r->row[i + 1]) {
            return error_set(err, "%.300s: too many groups", x->path);
        }
        r->row[i + 1] += r->row[i];
    }
    for (int k = 0; k < 3 && !x->status; k++) {
        int column = xray_fits_column(x, columns[k]);
        int type = 0;
        LONGLONG repeat = 0;
        LONGLONG at = 0;
        snprintf(x->what, sizeof x->what, "column %s", columns[k]);
        if (!column) {
            x->status = COL_NOT_FOUND;
        }
        fits_get_coltypell(x->f, column, &type, &repeat, NULL, &x->status);
        for (int i = 0; i < n && !x->status; i++) {
            if (type < 0) {
                fits_read_descriptll(x->f, column, i + 1, &repeat, &at, &x->status);
            }
            if (repeat < 0 || repeat > XRAY_MAX_CHANNELS) {
                return error_set(err, "%.300s: row %d: %lld numbers in %s", x->path, i + 1, (long long)repeat,
                                 columns[k]);
            }
            if (repeat > widest[k]) {
                widest[k] = (long)repeat;
            }
            if (k < 2 && repeat < r->row[i + 1] - r->row[i]) {
                return error_set(err, "%.300s: row %d: N_GRP is %d, but %s holds %lld numbers", x->path, i + 1,
                                 r->row[i + 1] - r->row[i], columns[k], (long long)repeat);
            }
            if (k == 2) {
                total += (size_t)repeat;
                r->span[i].count = (int)repeat; /* for the moment: numbers in this row */
            }
        }
    }
    if (total > XRAY_MAX_MATRIX) {
        return error_set(err, "%.300s: a matrix of %zu numbers is too large", x->path, total);
    }
    r->n_matrix = total;
    return 0;
}

/* Rows of the matrix; held[n_energy] numbers in each, first: the channel number of index 0, scratch[2][widest]. */
static inline int xray_rmf_rows(xray_response *r, xray_fits *x, const int *held, int first, int *scratch, long widest,
                                char *err) {
    size_t at = 0;
    for (int i = 0; i < r->n_energy && !x->status; i++) {
        int groups = r->row[i + 1] - r->row[i];
        long long used = 0;
        xray_fits_read(x, "F_CHAN", TINT, i + 1, groups, scratch);
        xray_fits_read(x, "N_CHAN", TINT, i + 1, groups, scratch + widest);
        xray_fits_read(x, "MATRIX", TFLOAT, i + 1, groups ? held[i] : 0, r->matrix + at);
        for (int k = 0; k < groups && !x->status; k++) {
            xray_span *s = &r->span[r->row[i] + k];
            long long channel = (long long)scratch[k] - first;
            s->count = scratch[widest + k];
            s->at = at + (size_t)used;
            if (s->count < 0 || channel < 0 || channel + s->count > r->n_channel) {
                if (s->count == 0) {
                    channel = 0;
                } else {
                    return error_set(err, "%.300s: row %d: F_CHAN %d, N_CHAN %d do not fit channels %d to %d", x->path,
                                     i + 1, scratch[k], s->count, first, first + r->n_channel - 1);
                }
            }
            s->channel = (int)channel;
            used += s->count;
            if (used > held[i]) {
                return error_set(err, "%.300s: row %d: N_CHAN asks for more than the %d numbers of MATRIX", x->path,
                                 i + 1, held[i]);
            }
        }
        at += (size_t)held[i];
    }
    return 0;
}

/* The matrix in cm2 by its column's unit; one that is no area belongs to shares, which stay. */
static inline void xray_rmf_unit(xray_response *r, xray_fits *x) {
    char unknown[ERROR_SIZE];
    double unit = xray_fits_unit(x, "MATRIX", 1, unknown);
    for (size_t i = 0; i < r->n_matrix && unit > 0; i++)
        r->matrix[i] *= (float)unit;
}

/* One matrix, after EBOUNDS: the extension where x stands. */
static inline int xray_rmf_matrix(xray_response *r, xray_fits *x, char *err) {
    char kind[FLEN_VALUE];
    char key[FLEN_KEYWORD];
    long widest[3] = {1, 1, 1};
    long n = xray_fits_rows(x);
    if (n < 1 || n > XRAY_MAX_ENERGIES) {
        return error_set(err, "%.300s: %ld energies", x->path, n);
    }
    xray_fits_text(x, "HDUCLAS3", kind);
    r->full = !strcasecmp(kind, "FULL");
    r->redist = !strcasecmp(kind, "REDIST");
    r->n_energy = (int)n;
    r->edge = xray_fits_edges(x, (int)n, err);
    if (!r->edge) {
        return -1;
    }
    r->area = xray_alloc((size_t)n, sizeof(double));
    r->row = xray_alloc((size_t)n + 1, sizeof(int));
    r->span = xray_alloc((size_t)n, sizeof *r->span);
    int *held;
    held = xray_alloc((size_t)n, sizeof *held);
    if (!r->area || !r->row || !r->span || !held) {
        free(held);
        return error_set(err, "out of memory");
    }
    for (int i = 0; i < n; i++)
        r->area[i] = 1;
    int bad;
    if ((bad = xray_rmf_sizes(r, x, widest, err)) || x->status) {
        free(held);
        return bad;
    }
    for (int i = 0; i < n; i++)
        held[i] = r->span[i].count;
    snprintf(key, sizeof key, "TLMIN%d", xray_fits_column(x, "F_CHAN"));
    double lowest = xray_fits_key(x, key, r->first_channel); /* absent: channels are numbered as in EBOUNDS */
    if (!(fabs(lowest) < 1e6)) {
        free(held);
        return x->status ? 0 : error_set(err, "%.300s: %s, the first channel of F_CHAN, is %g", x->path, key, lowest);
    }
    int first = (int)lowest;
    if (widest[1] > widest[0]) {
        widest[0] = widest[1];
    }
    free(r->span);
    r->span = xray_alloc((size_t)r->row[n], sizeof *r->span);
    r->matrix = xray_alloc(r->n_matrix, sizeof(float));
    int *scratch;
    scratch = xray_alloc(2 * (size_t)widest[0], sizeof *scratch);
    bad = r->span && r->matrix && scratch ? xray_rmf_rows(r, x, held, first, scratch, widest[0], err)
                                          : error_set(err, "out of memory");
    free(scratch);
    free(held);
    if (!bad && !x->status && !r->redist) {
        xray_rmf_unit(r, x);
    }
    return bad;
}

/* Adds the spans of b, which has the same energies and channels. -1 without memory. */
static inline int xray_response_add(xray_response *r, const xray_response *b) {
    size_t spans = (size_t)r->row[r->n_energy] + (size_t)b->row[b->n_energy];
    xray_span *span = spans > INT_MAX ? NULL : xray_alloc(spans, sizeof *span);
    float *matrix = realloc(r->matrix, (r->n_matrix + b->n_matrix + 1) * sizeof *matrix);
    int at = 0;
    if (matrix) {
        r->matrix = matrix;
    }
    if (!span || !matrix) {
        free(span);
        return -1;
    }
    memcpy(matrix + r->n_matrix, b->matrix, b->n_matrix * sizeof *matrix);
    for (int i = 0; i < r->n_energy; i++) {
        int begin = at;
        for (int s = r->row[i]; s < r->row[i + 1]; s++)
            span[at++] = r->span[s];
        for (int s = b->row[i]; s < b->row[i + 1]; s++) {
            span[at] = b->span[s];
            span[at++].at += r->n_matrix;
        }
        r->row[i] = begin;
    }
    r->row[r->n_energy] = at;
    r->n_matrix += b->n_matrix;
    free(r->span);
    r->span = span;
    return 0;
}

/* A further matrix of the same file, where x stands: it must have the energies of the first, and is added to it. */
static inline int xray_rmf_further(xray_response *r, xray_fits *x, char *err) {
    xray_response b;
    int same = 1;
    memset(&b, 0, sizeof b);
    b.n_channel = r->n_channel;
    b.first_channel = r->first_channel;
    int bad = xray_rmf_matrix(&b, x, err);
    if (!bad && !x->status) {
        same = b.n_energy == r->n_energy;
        for (int i = 0; same && i <= r->n_energy; i++)
            same = fabs(b.edge[i] - r->edge[i]) <= 1e-6 * r->edge[i];
        if (!same) {
            bad = error_set(err, "%.300s: its matrices have different energies: give one, as file[1]", x->path);
        } else if (r->full != b.full) {
            bad = error_set(err, "%.300s: of its matrices some hold the effective area and some do not", x->path);
        } else if (xray_response_add(r, &b)) {
            bad = error_set(err, "out of memory");
        }
    }
    xray_response_free(&b);
    return bad;
}

/* All matrices of the file, or the one that its name asks for. */
static inline int xray_rmf_matrices(xray_response *r, xray_fits *x, char *err) {
    static const char *const names[] = {"MATRIX", "SPECRESP MATRIX", NULL};
    int at = xray_fits_table(x, names, "HDUCLAS2", "RSP_MATRIX");
    int single = x->address.hdu[0] != 0;
    if (x->status) {
        return -1;
    }
    if (!at) {
        return error_set(err, "%.300s: no extension MATRIX or SPECRESP MATRIX: not a response", x->path);
    }
    int bad = xray_rmf_matrix(r, x, err);
    for (int n = 2; !bad && !x->status && !single; n++) {
        at = xray_fits_table_after(x, at, names, "HDUCLAS2", "RSP_MATRIX");
        if (!at) {
            break;
        }
        bad = xray_rmf_further(r, x, err);
        if (!bad && n == 2) {
            xray_note(r->note, "%.150s holds several matrices, which are added", x->path);
        }
    }
    return bad;
}

/* Multiplies the response by the effective areas of an ARF, whose energies must be the RMF's. */
static inline int xray_arf_columns(xray_response *r, xray_fits *x, const char *rmf, char *err) {
    static const char *const names[] = {"SPECRESP", NULL};
    int wrong = -1;
    if (!xray_fits_table(x, names, "HDUCLAS2", "SPECRESP") && !x->status) {
        return error_set(err, "%.300s: no extension SPECRESP: not an ARF", x->path);
    }
    long n = xray_fits_rows(x);
    if (!x->status && n != r->n_energy) {
        return error_set(err, "%.200s: %ld energies, but %.100s has %d", x->path, n, rmf, r->n_energy);
    }
    xray_fits_read(x, "SPECRESP", TDOUBLE, 1, n, r->area);
    double unit = x->status ? 0 : xray_fits_unit(x, "SPECRESP", 1, err);
    double *edge = unit > 0 ? xray_fits_edges(x, (int)n, err) : NULL;
    if (!edge) {
        return -1;
    }
    for (int i = 0; i < n; i++) {
        double width = r->edge[i + 1] - r->edge[i];
        r->area[i] *= unit;
        if (wrong < 0 && !(fabs(edge[i + 1] - r->edge[i + 1]) <= 0.1 * width + 1e-6 * r->edge[i + 1])) {
            wrong = i;
        }
    }
    double ends = wrong >= 0 ? edge[wrong + 1] : 0;
    free(edge);
    if (wrong < 0 || x->status) {
        return 0;
    }
    return error_set(err, "%.200s: row %d ends at %g keV, but that of %.100s at %g: not the same energies", x->path,
                     wrong + 1, ends, rmf, r->edge[wrong + 1]);
}

static inline int xray_arf_apply(xray_response *r, const char *path, const char *rmf, char *err) {
    char ignored[ERROR_SIZE];
    xray_fits x;
    xray_fits_open(&x, path);
    int bad = x.status ? -1 : xray_arf_columns(r, &x, rmf, err);
    int told = bad && !x.status;
    bad |= xray_fits_close(&x, told ? ignored : err);
    return bad ? -1 : 0;
}

/* Largest sum of a row: the share of photons that are detected where the matrix holds no area. */
static inline double xray_response_largest(const xray_response *r) {
    double largest = 0;
    for (int i = 0; i < r->n_energy; i++) {
        double sum = 0;
        for (int s = r->row[i]; s < r->row[i + 1]; s++)
            for (int k = 0; k < r->span[s].count; k++)
                sum += (double)r->matrix[r->span[s].at + (size_t)k];
        largest = fmax(largest, sum);
    }
    return largest;
}

/* Without an ARF the matrix must hold the area. asked: the caller said that there is no ARF. */
static inline int xray_response_area(xray_response *r, const char *rmf, int asked, char *err) {
    int bare = !r->full && (r->redist || xray_response_largest(r) <= 1.01);
    if (!bare) {
        return 0;
    }
    if (!asked && r->redist) {
        return error_set(err,
                         "%.300s: holds no effective area (HDUCLAS3 = REDIST), and no ARF is named: give one (none: "
                         "there is none)",
                         rmf);
    }
    xray_note(r->note, "%.150s holds no effective area and has no ARF: fluxes and norms are counts/s", rmf);
    return 0;
}

/* Reads a response; arf "": the areas are in the matrix, and a matrix without them is refused; NULL: the same, but the
   areas may be 1. Free it with xray_response_free. */
static inline int xray_response_read(xray_response *r, const char *rmf, const char *arf, char *err) {
    char ignored[ERROR_SIZE];
    int has_arf = arf && *arf;
    memset(r, 0, sizeof *r);
    xray_fits x;
    xray_fits_open(&x, rmf);
    int bad = x.status ? -1 : xray_rmf_channels(r, &x, err);
    if (!bad && !x.status) {
        bad = xray_rmf_matrices(r, &x, err);
    }
    int told = bad && !x.status;
    bad |= xray_fits_close(&x, told ? ignored : err);
    if (!bad && has_arf && r->full) {
        bad = error_set(err, "%.300s: holds the effective area already (HDUCLAS3 = FULL): no ARF belongs to it", rmf);
    }
    if (!bad && has_arf) {
        bad = xray_arf_apply(r, arf, rmf, err);
    }
    if (!bad) {
        bad = xray_response_check(r, rmf, err);
    }
    if (!bad && !has_arf) {
        bad = xray_response_area(r, rmf, !arf, err);
    }
    if (bad) {
        xray_response_free(r);
    }
    return bad ? -1 : 0;
}

/* Reads a table of absorption: columns ENERGY [keV] and SIGMA [1e-22 cm^2 per H atom]. Free it. */
static inline int xray_absorption_read(xray_absorption *a, const char *path, char *err) {
    static const char *const names[] = {"TBABS", "ABSORPTION", NULL};
    xray_fits x;
    xray_fits_open(&x, path);
    memset(a, 0, sizeof *a);
    if (!xray_fits_table(&x, names, "HDUCLAS1", "ABSORPTION")) {
        return xray_fits_fail(&x, err, "no extension TBABS");
    }
    long n = xray_fits_rows(&x);
    if (n < 2 || n > XRAY_MAX_ENERGIES) {
        return xray_fits_fail(&x, err, "%ld energies", n);
    }
    if (xray_absorption_room(a, (int)n, err)) {
        return xray_fits_fail(&x, err, "out of memory");
    }
    xray_fits_read(&x, "ENERGY", TDOUBLE, 1, n, a->log_e);
    xray_fits_read(&x, "SIGMA", TDOUBLE, 1, n, a->log_sigma);
    if (xray_fits_close(&x, err)) {
        xray_absorption_free(a);
        return -1;
    }
    for (int i = 0; i < n; i++) {
        int good = a->log_e[i] > 0 && a->log_sigma[i] > 0 && isfinite(a->log_e[i]) && isfinite(a->log_sigma[i]);
        if (good) {
            a->log_e[i] = log(a->log_e[i]);
            a->log_sigma[i] = log(a->log_sigma[i]);
        }
        if (good && (i == 0 || a->log_e[i] > a->log_e[i - 1])) {
            continue;
        }
        xray_absorption_free(a);
        return error_set(err, "%.300s: row %d: energies must ascend, and both columns be positive", path, i + 1);
    }
    return 0;
}

/* Simulated spectra from elsewhere: theta[rows][d], counts[rows][n_bin] from columns THETA and COUNTS of an extension
   SIMULATIONS. The caller frees both. */
static inline int xray_simulations_read(double **theta, double **counts, long *rows, int d, int n_bin, const char *path,
                                        char *err) {
    static const char *const names[] = {"SIMULATIONS", NULL};
    static const char *const columns[] = {"THETA", "COUNTS"};
    double **out[2];
    out[0] = theta;
    out[1] = counts;
    *theta = *counts = NULL;
    xray_fits x;
    xray_fits_open(&x, path);
    if (!xray_fits_table(&x, names, "HDUCLAS1", "SIMULATIONS")) {
        return xray_fits_fail(&x, err, "no extension SIMULATIONS");
    }
    *rows = xray_fits_rows(&x);
    if (*rows < 1 || *rows > 1 << 24) {
        return xray_fits_fail(&x, err, "%ld spectra", *rows);
    }
    for (int k = 0; k < 2 && !x.status; k++) {
        int column = xray_fits_column(&x, columns[k]);
        int type = 0;
        int want = k ? n_bin : d;
        LONGLONG repeat = 0;
        if (column) {
            fits_get_coltypell(x.f, column, &type, &repeat, NULL, &x.status);
        }
        if (!x.status && repeat != want) {
            return xray_fits_fail(&x, err, "column %s holds %lld numbers, not %d", columns[k], (long long)repeat, want);
        }
        *out[k] = xray_alloc((size_t)*rows, (size_t)want * sizeof(double));
        if (!*out[k]) {
            return xray_fits_fail(&x, err, "out of memory");
        }
        xray_fits_read(&x, columns[k], TDOUBLE, 1, *rows * want, *out[k]);
    }
    if (xray_fits_close(&x, err)) {
        return -1;
    }
    for (long i = 0; i < *rows * n_bin; i++)
        if (!((*counts)[i] >= 0 && (*counts)[i] < 1e15)) {
            return error_set(err, "%.300s: row %ld: counts are %g", path, i / n_bin + 1, (*counts)[i]);
        }
    return 0;
}
#else
static inline int xray_simulations_read(double **theta, double **counts, long *rows, int d, int n_bin, const char *path,
                                        char *err) {
    (void)d;
    (void)n_bin;
    *theta = *counts = NULL;
    *rows = 0;
    return xray_no_cfitsio(path, err);
}
static inline int xray_pha_read_as(xray_pha *p, const char *path, int background, char *err) {
    (void)background;
    memset(p, 0, sizeof *p);
    return xray_no_cfitsio(path, err);
}
static inline int xray_pha_read(xray_pha *p, const char *path, char *err) {
    return xray_pha_read_as(p, path, 0, err);
}
static inline int xray_pha_write(const xray_pha *p, const char *path, const char *rmf, const char *arf, char *err) {
    (void)p;
    (void)rmf;
    (void)arf;
    return xray_no_cfitsio(path, err);
}
static inline int xray_response_read(xray_response *r, const char *rmf, const char *arf, char *err) {
    (void)arf;
    memset(r, 0, sizeof *r);
    return xray_no_cfitsio(rmf, err);
}
static inline int xray_absorption_read(xray_absorption *a, const char *path, char *err) {
    memset(a, 0, sizeof *a);
    return xray_no_cfitsio(path, err);
}
#endif
#endif
