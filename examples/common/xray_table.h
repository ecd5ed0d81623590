/* xray_table.h: XSPEC table models as components: atable{FILE} (adds), mtable{FILE} (multiplies), etable{FILE}
   (multiplies by exp(-value)), from FITS files in the format of OGIP/92-009 (Arnaud 1995): plasma (apec), tori,
   warm absorbers, EBL.

     xray_library library = {0};
     library.load = xray_table_load;
     if (xray_model_parse_with(&model, "tbabs*atable{apec.fits}", &library, err)) fail("%s", err);
     ...
     xray_table_free_all(&library);

   Parameters are those of the file, in its ranges (MINIMUM ... MAXIMUM, cut to the tabulated values; the search begins
   between BOTTOM and TOP), called MODEL.NAME, where MODEL is MODLNAME or atable; DELTA below 0 holds a parameter at
   INITIAL. A parameter called Redshift or z is held, and must be given. Where REDSHIFT is true a Redshift is added (held
   at 0), and an additive model has a norm. Between tabulated values linear, or linear in the logarithm of the parameter
   (METHOD 1); additional parameters (NADDPARM) times their spectra are added. Bins of energy are shared out by their
   overlap; outside of the table's energies an additive model is 0 and a factor that of the nearest bin, unless LOELIMIT
   or HIELIMIT is given. Energies in the unit of ENERG_LO (keV where it has none).
   Include xray.h first. Public domain or MIT, see LICENSE. */
#ifndef XRAY_TABLE_H
#define XRAY_TABLE_H

enum { XRAY_TABLE_PARS = 10, XRAY_TABLE_VALUES = 20000, XRAY_TABLE_BINS = 1 << 20, XRAY_TABLE_SIZE = 1 << 28 };

typedef struct xray_table {
    int n_int, n_add, n_bin; /* parameters that are interpolated, that are added; bins of energy */
    int n_value[XRAY_TABLE_PARS], logarithm[XRAY_TABLE_PARS];
    double *value[XRAY_TABLE_PARS]; /* [n_value] ascending */
    double *edge;                   /* [n_bin+1] keV */
    float *spectrum;                /* [products of n_value][1 + n_add][n_bin] the first parameter slowest */
    int additive, exponent, has_redshift;
    double below, above; /* NaN: not given */
    char path[PATH_SIZE];
} xray_table;

static inline void xray_table_free(xray_table *t) {
    if (!t) {
        return;
    }
    for (int k = 0; k < XRAY_TABLE_PARS; k++)
        free(t->value[k]);
    free(t->edge);
    free(t->spectrum);
    free(t);
}

/* Where x stands among value[n]: the index below, and the share of the one above. 0 outside. */
static inline int xray_table_place(int *at, double *share, const xray_table *t, int k, double x) {
    const double *v = t->value[k];
    int lo = 0;
    int hi = t->n_value[k] - 1;
    if (!(x >= v[0] && x <= v[hi])) {
        return 0;
    }
    while (hi - lo > 1) {
        int mid = (lo + hi) / 2;
        *(v[mid] <= x ? &lo : &hi) = mid;
    }
    *at = lo;
    *share = 0;
    if (t->n_value[k] == 1) {
        return 1;
    }
    *share = t->logarithm[k] ? log(x / v[lo]) / log(v[hi] / v[lo]) : (x - v[lo]) / (v[hi] - v[lo]);
    return 1;
}

/* The table's own bins at par[n_int + n_add] into out[n_bin]; 0 outside of the tabulated values. */
static inline int xray_table_at(double *out, const xray_table *t, const double *par) {
    int at[XRAY_TABLE_PARS];
    double share[XRAY_TABLE_PARS];
    size_t row = (size_t)(1 + t->n_add) * (size_t)t->n_bin;
    for (int k = 0; k < t->n_int; k++)
        if (!xray_table_place(&at[k], &share[k], t, k, par[k])) {
            return 0;
        }
    for (int i = 0; i < t->n_bin; i++)
        out[i] = 0;
    for (int corner = 0; corner < 1 << t->n_int; corner++) {
        double weight = 1;
        size_t index = 0;
        for (int k = 0; k < t->n_int; k++) {
            int up = corner >> k & 1;
            weight *= up ? share[k] : 1 - share[k];
            index = index * (size_t)t->n_value[k] + (size_t)(at[k] + (up && t->n_value[k] > 1));
        }
        if (!(fabs(weight) > 0)) {
            continue;
        }
        for (int a = 0; a <= t->n_add; a++) {
            const float *s = t->spectrum + index * row + (size_t)a * (size_t)t->n_bin;
            double w = weight * (a ? par[t->n_int + a - 1] : 1);
            for (int i = 0; i < t->n_bin; i++)
                out[i] += w * (double)s[i];
        }
    }
    return 1;
}

/* Shares bins of the table, moved to energies lower by 1 + z, out among the grid's: sums, or means over a bin. */
static inline void xray_table_share(double *out, const xray_grid *g, const xray_table *t, const double *bins,
                                    double z) {
    double stretch = 1 / (1 + z);
    double first = isnan(t->below) ? (t->additive ? 0 : bins[0]) : t->below;
    double last = isnan(t->above) ? (t->additive ? 0 : bins[t->n_bin - 1]) : t->above;
    int j = 0;
    for (int i = 0; i < g->n; i++) {
        double lo = g->edge[i];
        double hi = g->edge[i + 1];
        double covered = 0;
        double sum = 0;
        while (j < t->n_bin - 1 && t->edge[j + 1] * stretch <= lo)
            j++;
        for (int k = j; k < t->n_bin && t->edge[k] * stretch < hi; k++) {
            double a = t->edge[k] * stretch;
            double b = t->edge[k + 1] * stretch;
            double overlap = fmin(b, hi) - fmax(a, lo);
            if (!(overlap > 0)) {
                continue;
            }
            covered += overlap;
            sum += bins[k] * (t->additive ? overlap / (b - a) : overlap);
        }
        out[i] = sum;
        if (t->additive) {
            continue;
        }
        double under = fmax(fmin(hi, t->edge[0] * stretch) - lo, 0);
        double over = fmax(hi - fmax(lo, t->edge[t->n_bin] * stretch), 0);
        out[i] = (sum + under * first + over * last) / fmax(covered + under + over, 1e-300);
    }
}

static inline void xray_table_eval(double *out, const xray_grid *g, const double *par, void *user) {
    const xray_table *t = user;
    int n = t->n_int + t->n_add;
    double z = t->has_redshift ? par[n] : 0;
    double norm = t->additive ? par[n + t->has_redshift] / (1 + z) : 1;
    double *bins = xray_alloc((size_t)t->n_bin, sizeof *bins);
    int inside = bins && xray_table_at(bins, t, par);
    if (inside) {
        xray_table_share(out, g, t, bins, z);
    }
    for (int i = 0; i < g->n; i++) {
        if (!inside) {
            out[i] = (double)NAN;
        }
        out[i] = t->exponent ? exp(-out[i]) : norm * out[i];
    }
    free(bins);
}

#ifdef BML_XRAY_USE_CFITSIO
/* One number of a column of the PARAMETERS. */
static inline double xray_table_cell(xray_fits *x, const char *column, int row) {
    double v = (double)NAN;
    xray_fits_read(x, column, TDOUBLE, row, 1, &v);
    return v;
}

/* n numbers of a row's vector, which must be long enough. type: TDOUBLE, TFLOAT. */
static inline void xray_table_vector(xray_fits *x, const char *column, int type, long row, long n, void *out) {
    LONGLONG repeat = 0;
    LONGLONG at = 0;
    int kind = 0;
    int number = xray_fits_column(x, column);
    if (x->status) {
        return;
    }
    snprintf(x->what, sizeof x->what, "read column %.30s", column);
    if (!number) {
        x->status = COL_NOT_FOUND;
    }
    fits_get_coltypell(x->f, number, &kind, &repeat, NULL, &x->status);
    if (kind < 0) {
        fits_read_descriptll(x->f, number, row, &repeat, &at, &x->status);
    }
    if (!x->status && repeat < n) {
        x->status = BAD_DIMEN;
    }
    xray_fits_read(x, column, type, row, n, out);
}

/* A name that can be typed: letters, digits and _ of the file's. */
static inline void xray_table_word(char *word, size_t size, const char *text) {
    size_t n = 0;
    for (; *text && n + 1 < size; text++) {
        int good = (*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');
        if (good || (n && *text == '_')) {
            word[n++] = *text;
        }
    }
    word[n] = 0;
}

/* Parameter k (from 0) of the file into the extra, its values into t. */
static inline int xray_table_parameter(xray_table *t, xray_extra *e, xray_fits *x, int k, char *err) {
    char text[FLEN_VALUE] = "";
    char *cell = text;
    int any = 0;
    xray_par *p = &e->par[k];
    if (!x->status) {
        fits_read_col(x->f, TSTRING, xray_fits_column(x, "NAME"), k + 1, 1, 1, NULL, &cell, &any, &x->status);
    }
    xray_table_word(p->name, 15, text);
    p->unit = "";
    double initial = xray_table_cell(x, "INITIAL", k + 1);
    double delta = xray_table_cell(x, "DELTA", k + 1);
    p->lo = xray_table_cell(x, "MINIMUM", k + 1);
    p->hi = xray_table_cell(x, "MAXIMUM", k + 1);
    p->from = xray_table_cell(x, "BOTTOM", k + 1);
    p->to = xray_table_cell(x, "TOP", k + 1);
    if (k < t->n_int) {
        t->logarithm[k] = xray_table_cell(x, "METHOD", k + 1) > 0;
        double n = xray_table_cell(x, "NUMBVALS", k + 1);
        if (x->status) {
            return 0;
        }
        if (!(n >= 1 && n <= XRAY_TABLE_VALUES)) {
            return error_set(err, "%.300s: parameter %s has %g values", x->path, p->name, n);
        }
        t->n_value[k] = (int)n;
        t->value[k] = xray_alloc((size_t)n, sizeof(double));
        if (!t->value[k]) {
            return error_set(err, "out of memory");
        }
        xray_table_vector(x, "VALUE", TDOUBLE, k + 1, (long)n, t->value[k]);
        for (int i = 0; i < t->n_value[k] && !x->status; i++)
            if (!isfinite(t->value[k][i]) || (i && !(t->value[k][i] > t->value[k][i - 1])) ||
                (t->logarithm[k] && !(t->value[k][i] > 0))) {
                return error_set(err, "%.300s: the values of %s do not ascend", x->path, p->name);
            }
        p->lo = fmax(p->lo, t->value[k][0]);
        p->hi = fmin(p->hi, t->value[k][t->n_value[k] - 1]);
    }
    int is_z = !strcasecmp(p->name, "redshift") || !strcasecmp(p->name, "z");
    if (is_z) {
        strcpy(p->name, "Redshift");
    }
    p->fixed = delta < 0 || is_z || !(p->hi > p->lo);
    p->value = is_z ? (double)NAN : initial;
    p->coarse = 1; /* straight lines between tabulated values */
    if (!(p->hi > p->lo)) {
        p->hi = p->lo + 1; /* one value: held */
    }
    return x->status || isfinite(p->lo + p->hi + initial) ? 0
                                                          : error_set(err, "%.300s: %s: its range", x->path, p->name);
}

/* The energies. */
static inline int xray_table_energies(xray_table *t, xray_fits *x, char *err) {
    static const char *const names[] = {"ENERGIES", NULL};
    if (!xray_fits_table_after(x, 1, names, "HDUCLAS2", "ENERGIES")) {
        return x->status ? -1 : error_set(err, "%.300s: no extension ENERGIES: not a table model", x->path);
    }
    long n = xray_fits_rows(x);
    if (n < 1 || n > XRAY_TABLE_BINS) {
        return error_set(err, "%.300s: %ld energies", x->path, n);
    }
    t->n_bin = (int)n;
    t->edge = xray_fits_edges(x, (int)n, err);
    if (!t->edge) {
        return -1;
    }
    for (int i = 0; i < n && !x->status; i++)
        if (!(t->edge[i + 1] > t->edge[i] && t->edge[0] >= 0 && t->edge[i + 1] < xray_max_kev)) {
            return error_set(err, "%.300s: energies: row %d does not ascend", x->path, i + 1);
        }
    return 0;
}

/* Flat index of a row of the SPECTRA by its PARAMVAL; -1 where that is not tabulated. */
static inline long xray_table_index(const xray_table *t, const double *at) {
    long index = 0;
    for (int k = 0; k < t->n_int; k++) {
        int found = -1;
        for (int i = 0; i < t->n_value[k] && found < 0; i++)
            if (fabs(t->value[k][i] - at[k]) <= 1e-5 * fabs(at[k]) + 1e-12) {
                found = i;
            }
        if (found < 0) {
            return -1;
        }
        index = index * t->n_value[k] + found;
    }
    return index;
}

/* The spectra, in whatever order. */
static inline int xray_table_spectra(xray_table *t, xray_fits *x, char *err) {
    static const char *const names[] = {"SPECTRA", NULL};
    double at[XRAY_TABLE_PARS];
    char column[16] = "INTPSPEC";
    double total = 1;
    if (!xray_fits_table_after(x, 1, names, "HDUCLAS2", "MODEL SPECTRA")) {
        return x->status ? -1 : error_set(err, "%.300s: no extension SPECTRA", x->path);
    }
    for (int k = 0; k < t->n_int; k++)
        total *= t->n_value[k];
    long n = xray_fits_rows(x);
    if (fabs(total - (double)n) > 0.5) {
        return error_set(err, "%.300s: %ld spectra for %g sets of values", x->path, n, total);
    }
    if (total * (1 + t->n_add) * t->n_bin > XRAY_TABLE_SIZE) {
        return error_set(err, "%.300s: too large", x->path);
    }
    size_t row = (size_t)(1 + t->n_add) * (size_t)t->n_bin;
    t->spectrum = xray_alloc((size_t)n * row, sizeof *t->spectrum);
    char *seen = xray_alloc((size_t)n, 1);
    int bad = !t->spectrum || !seen ? error_set(err, "out of memory") : 0;
    for (long i = 0; i < n && !bad && !x->status; i++) {
        xray_table_vector(x, "PARAMVAL", TDOUBLE, i + 1, t->n_int, at);
        long index = x->status ? -1 : xray_table_index(t, at);
        if (!x->status && (index < 0 || seen[index]++)) {
            bad = error_set(err, "%.300s: spectrum %ld: its PARAMVAL are not those of PARAMETERS", x->path, i + 1);
            break;
        }
        for (int a = 0; a <= t->n_add && !x->status; a++) {
            if (a) {
                snprintf(column, sizeof column, "ADDSP%03d", a);
            }
            xray_table_vector(x, a ? column : "INTPSPEC", TFLOAT, i + 1, t->n_bin,
                              t->spectrum + (size_t)index * row + (size_t)a * (size_t)t->n_bin);
        }
    }
    free(seen);
    for (size_t i = 0; i < (size_t)n * row && !bad && !x->status; i++)
        if (!(fabsf(t->spectrum[i]) < 1e30f)) {
            bad = error_set(err, "%.300s: the spectra hold %g", x->path, (double)t->spectrum[i]);
        }
    return bad;
}

/* The whole file; e gets name and parameters. */
static inline int xray_table_open(xray_table *t, xray_extra *e, xray_fits *x, char *err) {
    static const char *const names[] = {"PARAMETERS", NULL};
    char name[FLEN_VALUE];
    if (x->status) {
        return -1;
    }
    t->has_redshift = xray_fits_logical(x, "REDSHIFT") == 1;
    t->below = xray_fits_key(x, "LOELIMIT", (double)NAN);
    t->above = xray_fits_key(x, "HIELIMIT", (double)NAN);
    xray_fits_text(x, "MODLNAME", name);
    xray_table_word(e->name, 12, name);
    if (!xray_fits_table_after(x, 1, names, "HDUCLAS2", "PARAMETERS")) {
        return x->status ? -1 : error_set(err, "%.300s: no extension PARAMETERS: not a table model", x->path);
    }
    long rows = xray_fits_rows(x);
    double n_add = xray_fits_key(x, "NADDPARM", 0);
    if (x->status) {
        return -1;
    }
    if (!(n_add >= 0 && n_add <= (double)rows && rows >= 1 && rows <= XRAY_TABLE_PARS)) {
        return error_set(err, "%.300s: %ld parameters, 1 to %d are possible", x->path, rows, (int)XRAY_TABLE_PARS);
    }
    t->n_add = (int)n_add;
    t->n_int = (int)rows - t->n_add;
    for (int k = 0; k < rows; k++)
        if (xray_table_parameter(t, e, x, k, err)) {
            return -1;
        }
    e->n_par = (int)rows;
    return xray_table_energies(t, x, err) || xray_table_spectra(t, x, err);
}

static inline int xray_table_read(xray_table *t, xray_extra *e, const char *path, char *err) {
    char ignored[ERROR_SIZE];
    xray_fits x;
    xray_fits_open(&x, path);
    int bad = xray_table_open(t, e, &x, err);
    int told = bad && !x.status;
    bad |= xray_fits_close(&x, told ? ignored : err);
    return bad ? -1 : 0;
}
#else
static inline int xray_table_read(xray_table *t, xray_extra *e, const char *path, char *err) {
    (void)t;
    (void)e;
    return xray_no_cfitsio(path, err);
}
#endif

/* Adds what comes after the file's own parameters. */
static inline void xray_table_finish(xray_extra *e, const xray_table *t) {
    static const xray_par z = {"Redshift", "", 0, 10, 0, 5, 0, 1, 0, 0};
    static const xray_par norm = {"norm", "", 0, 1e24, 1e-7, 100, 1, 0, 0, 0};
    if (t->has_redshift) {
        e->par[e->n_par++] = z;
    }
    if (t->additive) {
        e->par[e->n_par++] = norm;
    }
    e->how = t->additive ? XRAY_ADDS : XRAY_MULTIPLIES;
    e->eval = xray_table_eval;
}

/* For xray_library.load: atable, mtable, etable; ebl{FILE} is an mtable called ebl. */
static inline int xray_table_load(xray_library *l, const char *name, const char *file, char *err) {
    int ebl = !strcasecmp(name, "ebl");
    if (strcasecmp(name, "atable") && strcasecmp(name, "mtable") && strcasecmp(name, "etable") && !ebl) {
        return error_set(err, "'%.20s{...}' is not atable, mtable, etable or ebl", name);
    }
    if (l->n == XRAY_MAX_EXTRAS) {
        return error_set(err, "more than %d tables", (int)XRAY_MAX_EXTRAS);
    }
    xray_extra *e = &l->extra[l->n];
    xray_table *t = calloc(1, sizeof *t);
    if (!t) {
        return error_set(err, "out of memory");
    }
    memset(e, 0, sizeof *e);
    t->additive = xray_lower(name[0]) == 'a';
    t->exponent = xray_lower(name[0]) == 'e' && !ebl;
    if (xray_table_read(t, e, file, err)) {
        xray_table_free(t);
        return -1;
    }
    if (!e->name[0] || ebl) {
        snprintf(e->name, sizeof e->name, "%.8s", name);
    }
    for (int i = 0; i < l->n; i++)
        if (!strcasecmp(l->extra[i].name, e->name)) { /* another file of that name */
            size_t used = strlen(e->name);
            snprintf(e->name + (used < 11 ? used : 11), 3, "%c", 'B' + l->n);
        }
    xray_table_finish(e, t);
    e->user = t;
    return l->n++;
}

/* The tables of a library; other extras are left alone. */
static inline void xray_table_free_all(xray_library *l) {
    for (int i = 0; i < l->n; i++)
        if (l->extra[i].eval == xray_table_eval) {
            xray_table_free(l->extra[i].user);
        }
    l->n = 0;
}
#endif
