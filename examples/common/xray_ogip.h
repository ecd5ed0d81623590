/* xray_ogip.h: the FITS files of X-ray astronomy, for xray.h, which includes it: do not include it yourself.

     xray_pha_read          PHA, type I: COUNTS or RATE, GROUPING, QUALITY, EXPOSURE, BACKSCAL, AREASCAL, SYS_ERR
                            (column or keyword), STAT_ERR of a RATE, and the names BACKFILE, RESPFILE, ANCRFILE, taken
                            beside the file
     xray_pha_write         the same, with CHANNEL, COUNTS, GROUPING
     xray_response_read     RMF: EBOUNDS, and MATRIX or SPECRESP MATRIX with N_GRP, F_CHAN, N_CHAN, MATRIX, each of
                            fixed or variable length; TLMIN of F_CHAN says which channel number is the first, and where
                            it is absent EBOUNDS does. ARF: SPECRESP over the same energies
     xray_absorption_read   a table of cross-sections

   OGIP memos OGIP/92-007 (spectra) and CAL/GEN/92-002 (responses). Nothing in a file is believed: sizes are bounded,
   spans must lie in the matrix, numbers must be finite. cfitsio keeps global state: call these from one thread at a
   time. */
#ifndef XRAY_OGIP_H
#define XRAY_OGIP_H

static inline int xray_no_cfitsio(const char *path, char *err) {
    return error_set(err, "%.300s: this program was built without cfitsio (Debian: libcfitsio-dev), which reads FITS",
                     path);
}

#ifdef BML_XRAY_USE_CFITSIO
/* An open file whose first error sticks: later calls do nothing. */
typedef struct xray_fits {
    fitsfile *f;
    int status;
    const char *path;
    char what[80]; /* what was being done when it went wrong */
} xray_fits;

static inline void xray_fits_open(xray_fits *x, const char *path) {
    memset(x, 0, sizeof *x);
    x->path = path;
    strcpy(x->what, "read the file");
    fits_open_diskfile(&x->f, path, READONLY, &x->status);
}

/* Closes; returns 0, or -1 with the line of text when anything went wrong since the opening. */
static inline int xray_fits_close(xray_fits *x, char *err) {
    char text[FLEN_STATUS] = "";
    int ignored = 0;
    if (x->status) fits_get_errstatus(x->status, text);
    if (x->f) fits_close_file(x->f, &ignored);
    fits_clear_errmsg();
    return x->status ? error_set(err, "%.300s: cannot %s: %s", x->path, x->what, text) : 0;
}

/* Ends with a message of one's own. */
COMMON_PRINTF(3, 4) static inline int xray_fits_fail(xray_fits *x, char *err, const char *fmt, ...) {
    char text[ERROR_SIZE];
    if (x->status) return xray_fits_close(x, err);
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
    if (x->status) return otherwise;
    if (fits_read_key(x->f, TDOUBLE, key, &value, NULL, &status) == KEY_NO_EXIST) {
        fits_clear_errmsg();
        return otherwise;
    }
    if (status) {
        x->status = status;
        snprintf(x->what, sizeof x->what, "read keyword %.20s", key);
    }
    return value;
}

/* A text from the header; "" where the key is absent or says none. */
static inline void xray_fits_text(xray_fits *x, const char *key, char *value) {
    char text[FLEN_VALUE] = "";
    int status = 0;
    value[0] = 0;
    if (x->status || fits_read_key(x->f, TSTRING, key, text, NULL, &status))
        fits_clear_errmsg();
    else if (strcasecmp(trim(text), "none"))
        snprintf(value, FLEN_VALUE, "%s", trim(text));
}

/* A file's name from the header, however long, into value[PATH_SIZE]; "" where the key is absent or says none. */
static inline void xray_fits_path(xray_fits *x, const char *key, char *value) {
    char *text = NULL;
    int status = 0;
    value[0] = 0;
    if (x->status || fits_read_key_longstr(x->f, key, &text, NULL, &status))
        fits_clear_errmsg();
    else if (strcasecmp(trim(text), "none"))
        snprintf(value, PATH_SIZE, "%.1000s", trim(text));
    free(text);
}

/* Goes to the first table called by one of the names (NULL ends them) or with HDUCLAS1/2 = class. Returns its number,
   0. */
static inline int xray_fits_table(xray_fits *x, const char *const *names, const char *class_key,
                                  const char *class_name) {
    int n = 0;
    int type = 0;
    if (!x->status) fits_get_num_hdus(x->f, &n, &x->status);
    for (int i = 2; i <= n && !x->status; i++) {
        char name[FLEN_VALUE];
        char kind[FLEN_VALUE];
        if (fits_movabs_hdu(x->f, i, &type, &x->status)) break;
        if (type != BINARY_TBL && type != ASCII_TBL) continue;
        xray_fits_text(x, "EXTNAME", name);
        xray_fits_text(x, class_key, kind);
        for (int k = 0; names[k]; k++)
            if (!strcasecmp(name, names[k])) return i;
        if (!strcasecmp(kind, class_name)) return i;
    }
    return 0;
}

static inline long xray_fits_rows(xray_fits *x) {
    long n = 0;
    if (!x->status) fits_get_num_rows(x->f, &n, &x->status);
    return x->status ? 0 : n;
}

/* Number of a column, 0 where it is absent. */
static inline int xray_fits_column(xray_fits *x, const char *name) {
    char copy[40];
    int column = 0;
    int status = 0;
    snprintf(copy, sizeof copy, "%s", name);
    if (x->status || fits_get_colnum(x->f, CASEINSEN, copy, &column, &status)) fits_clear_errmsg();
    return status && status != COL_NOT_UNIQUE ? 0 : column;
}

/* n numbers of a column, from a row (from 1) on; the column must be there. type: TDOUBLE, TINT, TFLOAT. */
static inline void xray_fits_read(xray_fits *x, const char *name, int type, long row, long n, void *out) {
    if (x->status || n <= 0) return;
    snprintf(x->what, sizeof x->what, "read column %.30s", name);
    int column = xray_fits_column(x, name);
    if (!column) x->status = COL_NOT_FOUND;
    fits_read_col(x->f, type, column, row, 1, n, NULL, out, NULL, &x->status);
}

/* A column of n numbers, or the keyword of that name in all of them, or `otherwise`. NULL without memory. */
static inline double *xray_fits_filled(xray_fits *x, const char *name, int n, double otherwise) {
    double *v = xray_alloc((size_t)n, sizeof *v);
    if (!v) return NULL;
    if (xray_fits_column(x, name)) {
        xray_fits_read(x, name, TDOUBLE, 1, n, v);
        return v;
    }
    double value = xray_fits_key(x, name, otherwise);
    for (int i = 0; i < n; i++)
        v[i] = value;
    return v;
}

/* The same for whole numbers that may be absent: *v stays NULL then. */
static inline int xray_fits_flags(int **v, xray_fits *x, const char *name, int n) {
    if (!xray_fits_column(x, name)) return 0;
    *v = xray_alloc((size_t)n, sizeof **v);
    if (!*v) return -1;
    xray_fits_read(x, name, TINT, 1, n, *v);
    return 0;
}

/* A file named in another: beside it unless absolute. */
static inline void xray_beside(char *path, const char *file, const char *name) {
    const char *slash = strrchr(file, '/');
    int folder = slash && *name != '/' ? (int)(slash - file) + 1 : 0;
    path[0] = 0;
    if (*name && snprintf(path, PATH_SIZE, "%.*s%s", folder < PATH_SIZE ? folder : 0, file, name) >= PATH_SIZE)
        path[0] = 0;
}

/* The columns of a PHA file into p, which has room. */
static inline int xray_pha_columns(xray_pha *p, xray_fits *x, char *err) {
    const char *counts = xray_fits_column(x, "COUNTS") ? "COUNTS" : "RATE";
    int *channel = xray_alloc((size_t)p->n, sizeof *channel);
    int bad = -1;
    xray_fits_read(x, "CHANNEL", TINT, 1, channel ? p->n : 0, channel);
    for (int i = 0; channel && !x->status && i < p->n && bad < 0; i++)
        if (channel[i] != channel[0] + i) bad = i;
    if (channel) p->first_channel = channel[0];
    free(channel);
    if (bad >= 0)
        return error_set(err, "%.300s: row %d: channels must follow each other without gaps", x->path, bad + 1);
    xray_fits_read(x, counts, TDOUBLE, 1, p->n, p->counts);
    free(p->area_scale);
    free(p->back_scale);
    p->area_scale = xray_fits_filled(x, "AREASCAL", p->n, 1);
    p->back_scale = xray_fits_filled(x, "BACKSCAL", p->n, 1);
    p->systematic = xray_fits_filled(x, "SYS_ERR", p->n, 0);
    if (!p->area_scale || !p->back_scale || !p->systematic || xray_fits_flags(&p->grouping, x, "GROUPING", p->n) ||
        xray_fits_flags(&p->quality, x, "QUALITY", p->n))
        return error_set(err, "out of memory");
    if (!strcmp(counts, "RATE")) { /* a rate has lost its counts: its errors must come with it */
        if (!(p->error = xray_fits_filled(x, "STAT_ERR", p->n, 0))) return error_set(err, "out of memory");
        for (int i = 0; i < p->n; i++) {
            p->counts[i] *= p->exposure;
            p->error[i] *= p->exposure;
        }
    }
    for (int i = 0; i < p->n && !x->status; i++) {
        if (!(p->counts[i] >= 0 && p->counts[i] < 1e15))
            return error_set(err, "%.300s: row %d: %s are %g", x->path, i + 1, counts, p->counts[i]);
        if (!(p->back_scale[i] > 0) || !(p->area_scale[i] > 0))
            return error_set(err, "%.300s: row %d: %s must be positive", x->path, i + 1,
                             p->back_scale[i] > 0 ? "AREASCAL" : "BACKSCAL");
        if (!(p->systematic[i] >= 0) || (p->error && !(p->error[i] >= 0)))
            return error_set(err, "%.300s: row %d: negative error", x->path, i + 1);
    }
    return 0;
}

/* Reads a spectrum. Free it with xray_pha_free. */
static inline int xray_pha_read(xray_pha *p, const char *path, char *err) {
    static const char *const names[] = {"SPECTRUM", NULL};
    char text[PATH_SIZE];
    long n = 0;
    memset(p, 0, sizeof *p);
    xray_fits x;
    xray_fits_open(&x, path);
    if (!xray_fits_table(&x, names, "HDUCLAS1", "SPECTRUM"))
        return xray_fits_fail(&x, err, "no extension SPECTRUM: not a PHA file");
    if (xray_fits_column(&x, "SPEC_NUM"))
        return xray_fits_fail(&x, err, "type II (several spectra in one table) is not read");
    n = xray_fits_rows(&x);
    if (n < 1 || n > XRAY_MAX_CHANNELS) return xray_fits_fail(&x, err, "%ld channels", n);
    double exposure = xray_fits_key(&x, "EXPOSURE", (double)NAN);
    if (!x.status && !(exposure > 0))
        return xray_fits_fail(&x, err, "EXPOSURE %g s must be there, and positive", exposure);
    if (x.status || xray_pha_room(p, (int)n, 0, exposure, err)) return xray_fits_fail(&x, err, "out of memory");
    snprintf(p->name, sizeof p->name, "%.1000s", path);
    xray_fits_path(&x, "BACKFILE", text);
    xray_beside(p->background, path, text);
    xray_fits_path(&x, "RESPFILE", text);
    xray_beside(p->rmf, path, text);
    xray_fits_path(&x, "ANCRFILE", text);
    xray_beside(p->arf, path, text);
    int bad = xray_pha_columns(p, &x, err);
    if (bad && !x.status) { /* err says it already */
        char ignored[ERROR_SIZE];
        xray_fits_close(&x, ignored);
    } else {
        bad = xray_fits_close(&x, err);
    }
    if (bad) xray_pha_free(p);
    return bad;
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
    xray_fits x = {NULL, 0, path, "write the file"};
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
        if (p->grouping) fits_write_col(x.f, TINT, 3, i + 1, 1, 1, &p->grouping[i], &x.status);
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
    int gap = -1;
    if (!xray_fits_table(x, names, "HDUCLAS2", "EBOUNDS"))
        return error_set(err, "%.300s: no extension EBOUNDS", x->path);
    long n = xray_fits_rows(x);
    if (n < 1 || n > XRAY_MAX_CHANNELS) return error_set(err, "%.300s: %ld channels", x->path, n);
    int *channel;
    channel = xray_alloc((size_t)n, sizeof *channel);
    r->n_channel = (int)n;
    r->e_min = xray_alloc((size_t)n, sizeof(double));
    r->e_max = xray_alloc((size_t)n, sizeof(double));
    if (!channel || !r->e_min || !r->e_max) {
        free(channel);
        return error_set(err, "out of memory");
    }
    xray_fits_read(x, "CHANNEL", TINT, 1, n, channel);
    xray_fits_read(x, "E_MIN", TDOUBLE, 1, n, r->e_min);
    xray_fits_read(x, "E_MAX", TDOUBLE, 1, n, r->e_max);
    r->first_channel = channel[0];
    for (int i = 0; i < n && gap < 0; i++)
        if (channel[i] != channel[0] + i) gap = i;
    free(channel);
    if (gap >= 0 && !x->status)
        return error_set(err, "%.300s: EBOUNDS row %d: channels must follow each other without gaps", x->path, gap + 1);
    return 0;
}

/* ENERG_LO and ENERG_HI of an RMF or ARF: edge[n+1], which must join. Returns NULL and err, or x->status set. */
static inline double *xray_fits_edges(xray_fits *x, int n, char *err) {
    double *lo = xray_alloc((size_t)n + 1, sizeof *lo);
    double *hi = xray_alloc((size_t)n, sizeof *hi);
    int gap = -1;
    if (lo && hi) {
        xray_fits_read(x, "ENERG_LO", TDOUBLE, 1, n, lo);
        xray_fits_read(x, "ENERG_HI", TDOUBLE, 1, n, hi);
        for (int i = 0; i + 1 < n && gap < 0; i++)
            if (!(fabs(lo[i + 1] - hi[i]) <= 1e-2 * fabs(hi[i] - lo[i]))) gap = i;
        lo[n] = hi[n - 1];
        if (gap < 0 || x->status) {
            free(hi);
            return lo;
        }
        error_set(err, "%.300s: row %d: the energy bin does not begin where the one before ends", x->path, gap + 2);
    } else {
        error_set(err, "out of memory");
    }
    free(lo);
    free(hi);
    return NULL;
}

/* N_GRP with its sum, and the room that F_CHAN, N_CHAN, MATRIX need. */
static inline int xray_rmf_sizes(xray_response *r, xray_fits *x, long *widest, char *err) {
    static const char *const columns[] = {"F_CHAN", "N_CHAN", "MATRIX"};
    size_t total = 0;
    int n = r->n_energy;
    xray_fits_read(x, "N_GRP", TINT, 1, n, r->row + 1);
    for (int i = 0; i < n && !x->status; i++) {
        if (r->row[i + 1] < 0 || r->row[i + 1] > r->n_channel)
            return error_set(err, "%.300s: row %d: N_GRP is %d", x->path, i + 1, r->row[i + 1]);
        if (r->row[i] > INT_MAX - r->row[i + 1]) return error_set(err, "%.300s: too many groups", x->path);
        r->row[i + 1] += r->row[i];
    }
    for (int k = 0; k < 3 && !x->status; k++) {
        int column = xray_fits_column(x, columns[k]);
        int type = 0;
        LONGLONG repeat = 0;
        LONGLONG at = 0;
        snprintf(x->what, sizeof x->what, "column %s", columns[k]);
        if (!column) x->status = COL_NOT_FOUND;
        fits_get_coltypell(x->f, column, &type, &repeat, NULL, &x->status);
        for (int i = 0; i < n && !x->status; i++) {
            if (type < 0) fits_read_descriptll(x->f, column, i + 1, &repeat, &at, &x->status);
            if (repeat < 0 || repeat > XRAY_MAX_CHANNELS)
                return error_set(err, "%.300s: row %d: %lld numbers in %s", x->path, i + 1, (long long)repeat,
                                 columns[k]);
            if (repeat > widest[k]) widest[k] = (long)repeat;
            if (k < 2 && repeat < r->row[i + 1] - r->row[i])
                return error_set(err, "%.300s: row %d: N_GRP is %d, but %s holds %lld numbers", x->path, i + 1,
                                 r->row[i + 1] - r->row[i], columns[k], (long long)repeat);
            if (k == 2) {
                total += (size_t)repeat;
                r->span[i].count = (int)repeat; /* for the moment: numbers in this row */
            }
        }
    }
    if (total > XRAY_MAX_MATRIX) return error_set(err, "%.300s: a matrix of %zu numbers is too large", x->path, total);
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
                if (s->count == 0)
                    channel = 0;
                else
                    return error_set(err, "%.300s: row %d: F_CHAN %d, N_CHAN %d do not fit channels %d to %d", x->path,
                                     i + 1, scratch[k], s->count, first, first + r->n_channel - 1);
            }
            s->channel = (int)channel;
            used += s->count;
            if (used > held[i])
                return error_set(err, "%.300s: row %d: N_CHAN asks for more than the %d numbers of MATRIX", x->path,
                                 i + 1, held[i]);
        }
        at += (size_t)held[i];
    }
    return 0;
}

/* The matrix, after EBOUNDS. */
static inline int xray_rmf_matrix(xray_response *r, xray_fits *x, char *err) {
    static const char *const names[] = {"MATRIX", "SPECRESP MATRIX", NULL};
    char kind[FLEN_VALUE];
    char key[FLEN_KEYWORD];
    long widest[3] = {1, 1, 1};
    if (!xray_fits_table(x, names, "HDUCLAS2", "RSP_MATRIX"))
        return error_set(err, "%.300s: no extension MATRIX or SPECRESP MATRIX: not a response", x->path);
    long n = xray_fits_rows(x);
    if (n < 1 || n > XRAY_MAX_ENERGIES) return error_set(err, "%.300s: %ld energies", x->path, n);
    xray_fits_text(x, "HDUCLAS3", kind);
    r->full = !strcasecmp(kind, "FULL");
    r->n_energy = (int)n;
    r->edge = xray_fits_edges(x, (int)n, err);
    if (!r->edge) return -1;
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
    int first = (int)xray_fits_key(x, key, r->first_channel); /* absent: channels are numbered as in EBOUNDS */
    if (widest[1] > widest[0]) widest[0] = widest[1];
    free(r->span);
    r->span = xray_alloc((size_t)r->row[n], sizeof *r->span);
    r->matrix = xray_alloc(r->n_matrix, sizeof(float));
    int *scratch;
    scratch = xray_alloc(2 * (size_t)widest[0], sizeof *scratch);
    bad = r->span && r->matrix && scratch ? xray_rmf_rows(r, x, held, first, scratch, widest[0], err)
                                          : error_set(err, "out of memory");
    free(scratch);
    free(held);
    return bad;
}

/* Multiplies the response by the effective areas of an ARF, whose energies must be the RMF's. */
static inline int xray_arf_apply(xray_response *r, const char *path, const char *rmf, char *err) {
    static const char *const names[] = {"SPECRESP", NULL};
    double *edge = NULL;
    long n = 0;
    int wrong = -1;
    xray_fits x;
    xray_fits_open(&x, path);
    if (!xray_fits_table(&x, names, "HDUCLAS2", "SPECRESP"))
        return xray_fits_fail(&x, err, "no extension SPECRESP: not an ARF");
    n = xray_fits_rows(&x);
    if (!x.status && n != r->n_energy)
        return xray_fits_fail(&x, err, "%ld energies, but %.100s has %d", n, rmf, r->n_energy);
    xray_fits_read(&x, "SPECRESP", TDOUBLE, 1, n, r->area);
    edge = x.status ? NULL : xray_fits_edges(&x, (int)n, err);
    if (!edge && !x.status) {
        char ignored[ERROR_SIZE];
        xray_fits_close(&x, ignored);
        return -1;
    }
    for (int i = 0; !x.status && i < n && wrong < 0; i++)
        if (!(fabs(edge[i + 1] - r->edge[i + 1]) <= 0.1 * (r->edge[i + 1] - r->edge[i]))) wrong = i;
    if (wrong >= 0)
        xray_fits_fail(&x, err, "row %d ends at %g keV, but that of %.100s at %g: not the same energies", wrong + 1,
                       edge[wrong + 1], rmf, r->edge[wrong + 1]);
    free(edge);
    return wrong >= 0 ? -1 : xray_fits_close(&x, err);
}

/* Reads a response; arf NULL or "": the areas are 1, or in the matrix already. Free it with xray_response_free. */
static inline int xray_response_read(xray_response *r, const char *rmf, const char *arf, char *err) {
    memset(r, 0, sizeof *r);
    xray_fits x;
    xray_fits_open(&x, rmf);
    int bad = x.status ? -1 : xray_rmf_channels(r, &x, err);
    if (!bad && !x.status) bad = xray_rmf_matrix(r, &x, err);
    if (bad && !x.status) {
        char ignored[ERROR_SIZE];
        xray_fits_close(&x, ignored);
    } else {
        bad = xray_fits_close(&x, err);
    }
    if (!bad && arf && *arf && r->full)
        bad = error_set(err, "%.300s: holds the effective area already (HDUCLAS3 = FULL): no ARF belongs to it", rmf);
    if (!bad && arf && *arf) bad = xray_arf_apply(r, arf, rmf, err);
    if (!bad) bad = xray_response_check(r, rmf, err);
    if (bad) xray_response_free(r);
    return bad;
}

/* Reads a table of absorption: columns ENERGY [keV] and SIGMA [1e-22 cm^2 per H atom]. Free it. */
static inline int xray_absorption_read(xray_absorption *a, const char *path, char *err) {
    static const char *const names[] = {"TBABS", "ABSORPTION", NULL};
    xray_fits x;
    xray_fits_open(&x, path);
    memset(a, 0, sizeof *a);
    if (!xray_fits_table(&x, names, "HDUCLAS1", "ABSORPTION")) return xray_fits_fail(&x, err, "no extension TBABS");
    long n = xray_fits_rows(&x);
    if (n < 2 || n > XRAY_MAX_ENERGIES) return xray_fits_fail(&x, err, "%ld energies", n);
    if (xray_absorption_room(a, (int)n, err)) return xray_fits_fail(&x, err, "out of memory");
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
        if (good && (i == 0 || a->log_e[i] > a->log_e[i - 1])) continue;
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
    if (!xray_fits_table(&x, names, "HDUCLAS1", "SIMULATIONS"))
        return xray_fits_fail(&x, err, "no extension SIMULATIONS");
    *rows = xray_fits_rows(&x);
    if (*rows < 1 || *rows > 1 << 24) return xray_fits_fail(&x, err, "%ld spectra", *rows);
    for (int k = 0; k < 2 && !x.status; k++) {
        int column = xray_fits_column(&x, columns[k]);
        int type = 0;
        int want = k ? n_bin : d;
        LONGLONG repeat = 0;
        if (column) fits_get_coltypell(x.f, column, &type, &repeat, NULL, &x.status);
        if (!x.status && repeat != want)
            return xray_fits_fail(&x, err, "column %s holds %lld numbers, not %d", columns[k], (long long)repeat, want);
        *out[k] = xray_alloc((size_t)*rows, (size_t)want * sizeof(double));
        if (!*out[k]) return xray_fits_fail(&x, err, "out of memory");
        xray_fits_read(&x, columns[k], TDOUBLE, 1, *rows * want, *out[k]);
    }
    if (xray_fits_close(&x, err)) return -1;
    for (long i = 0; i < *rows * n_bin; i++)
        if (!((*counts)[i] >= 0 && (*counts)[i] < 1e15))
            return error_set(err, "%.300s: row %ld: counts are %g", path, i / n_bin + 1, (*counts)[i]);
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
static inline int xray_pha_read(xray_pha *p, const char *path, char *err) {
    memset(p, 0, sizeof *p);
    return xray_no_cfitsio(path, err);
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
