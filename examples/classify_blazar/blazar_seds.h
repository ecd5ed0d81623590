/* blazar_seds.h: what classify_blazar works on: its settings, and spectral energy distributions as sets of points; how
   they are read from tables, and which of them are kept. Include common.h, bml_classify.h and device.h first. Public
   domain or MIT, see LICENSE. */
#ifndef BLAZAR_SEDS_H
#define BLAZAR_SEDS_H

enum { RADIO, FOREST, STACK, SMALL, POINTS, PUBLISHED, N_NETS };
static const char nets[] = "radio|forest|stack|small|points|published";
enum { HIGHEST, MEAN, LOWEST };
enum { NAME = BML_CLASSIFY_NAME };
enum { MAX_BANDS = 24 };
enum { MAX_FEATURES = 96 };
enum { MAX_FOLDS = 50 };
/* log10 Hz: the grid, and where gamma rays begin */
static const double LOWEST_NU = 7;
static const double HIGHEST_NU = 27.6;
static const double GAMMA_NU = 20;

typedef struct settings {
    const char *input;
    const char *labels;
    const char *judge;
    const char *out;
    const char *nets;
    option_list leave_out;
    int value;
    int gamma;
    int radio;
    int radio_detected;
    int noise;
    int sparse;
    int thin;
    int write_seds;
    int shuffle;
    int device;
    int quiet;
    int wanted[N_NETS];
    long simulate;
    long folds;
    long run_folds;
    long bins;
    long epochs;
    long copies;
    long threads;
    double radio_gap;
    double veil;
    double purity;
    double completeness;
    uint64_t seed;
    device card;
} settings;

/* ==== memory, random numbers ====================================================================================== */

static void *grown(void *p, size_t *room, size_t need, size_t size) {
    if (need <= *room) {
        return p;
    }
    *room = need + need / 2 + 64;
    p = realloc(p, *room * size);
    if (!p) {
        fail("out of memory");
    }
    return p;
}

static void *zeroed(ptrdiff_t n, size_t size) {
    void *p = calloc(n > 0 ? (size_t)n : 1, size);
    if (!p) {
        fail("out of memory");
    }
    return p;
}

static double normal(bml_classify_rng *r, double mean, double sd) {
    return mean + sd * bml_classify_rng_normal(r);
}
static double uniform(bml_classify_rng *r, double lo, double hi) {
    return lo + (hi - lo) * bml_classify_rng_uniform(r);
}

/* ==== spectral energy distributions =============================================================================== */

typedef struct point {
    double nu;    /* log10 Hz */
    double flux;  /* log10 erg cm^-2 s^-1 */
    double error; /* dex, 0: not known */
    int limit;    /* 1: upper limit */
} point;

typedef struct sed {
    char name[NAME];
    int label;    /* 1 blazar, 0 not, -1 to be judged */
    size_t first; /* of its points */
    int n;
} sed;

typedef struct sed_set {
    sed *sed;     /* [n] */
    point *point; /* [n_points] */
    int n;
    int room;
    size_t n_points;
    size_t points_room;
    long limits;       /* upper limits */
    long dropped;      /* values that are not positive */
    long left_out[64]; /* sources by label, as --leave-out names them */
} sed_set;

static void add_sed(sed_set *set, const char *name, int label) {
    size_t room = (size_t)set->room;
    set->sed = grown(set->sed, &room, (size_t)set->n + 1, sizeof *set->sed);
    set->room = (int)room;
    sed *s = &set->sed[set->n++];
    memset(s, 0, sizeof *s);
    snprintf(s->name, sizeof s->name, "%s", name);
    s->label = label;
    s->first = set->n_points;
}

/* Of the source added last. */
static void add_point(sed_set *set, double nu, double flux, double error, int limit) {
    point p;
    p.nu = nu;
    p.flux = flux;
    p.error = error;
    p.limit = limit;
    set->point = grown(set->point, &set->points_room, set->n_points + 1, sizeof *set->point);
    set->point[set->n_points++] = p;
    set->sed[set->n - 1].n++;
    set->limits += limit;
}

static void free_set(sed_set *set) {
    free(set->sed);
    free(set->point);
    memset(set, 0, sizeof *set);
}

/* Keeps the sources and points that the settings ask for; sources without a point go. */
static void filter(sed_set *set, const settings *s) {
    size_t k = 0;
    int m = 0;
    set->limits = 0;
    for (int i = 0; i < set->n; i++) {
        sed *from = &set->sed[i];
        sed to = *from;
        int seen = 0;
        to.first = k;
        to.n = 0;
        for (int j = 0; j < from->n; j++) {
            point p = set->point[from->first + (size_t)j];
            seen |= !p.limit && fabs(p.nu - 9.146) < 0.02; /* 1.4 GHz */
            if ((!s->gamma && p.nu > GAMMA_NU) || (!s->radio && p.nu < 12)) {
                continue;
            }
            set->point[k++] = p;
            to.n++;
        }
        if (to.n && (seen || !s->radio_detected)) {
            set->sed[m++] = to;
        } else {
            k = to.first;
        }
        for (int j = 0; (size_t)j < k - to.first; j++) {
            set->limits += set->point[to.first + (size_t)j].limit;
        }
    }
    set->n = m;
    set->n_points = k;
}

/* ==== reading ===================================================================================================== */

static int find_column(const bml_classify_table *t, const char *const *names) {
    int c = -1;
    for (; *names && c < 0; names++) {
        c = bml_classify_table_find(t, *names);
    }
    return c;
}

/* Values of a column, NaN where empty; all NaN where there is no such column. Free them. */
static double *column_values(const bml_classify_table *t, int c) {
    double *v = zeroed(t->n_rows, sizeof *v);
    char why[BML_CLASSIFY_MESSAGE] = "";
    for (int i = 0; i < t->n_rows; i++) {
        v[i] = (double)NAN;
    }
    if (c >= 0 && bml_classify_table_numbers(v, t, c, why)) {
        fail("%s", why);
    }
    return v;
}

/* Flags 0 or 1; blank counts as 0. */
static double *column_flags(const bml_classify_table *t, int c) {
    double *v = column_values(t, c);
    for (int i = 0; i < t->n_rows; i++) {
        if (isnan(v[i])) {
            v[i] = 0;
        }
        if (v[i] < 0 || (v[i] > 0 && v[i] < 1) || v[i] > 1) {
            fail("%s:%ld: '%s' holds %g, must be 0 or 1", t->name, t->line[i], t->column[c].name, v[i]);
        }
    }
    return v;
}

enum { LEFT_OUT = -2 };

/* The label in row i of column c: 1, 0, -1 (blank) or LEFT_OUT, which is counted. */
static int label_of(sed_set *set, const bml_classify_table *t, int c, int i, const settings *s) {
    const char *text = c < 0 ? "" : t->column[c].text[i];
    if (!*text) {
        return -1;
    }
    for (int k = 0; k < s->leave_out.n; k++) {
        if (!strcasecmp(text, s->leave_out.item[k])) {
            set->left_out[k]++;
            return LEFT_OUT;
        }
    }
    if (!strcasecmp(text, "blazar")) {
        return 1;
    }
    if (!strcasecmp(text, "nonblazar")) {
        return 0;
    }
    fail("%s:%ld: label '%.60s' is none of blazar, nonblazar, blank, --leave-out", t->name, t->line[i], text);
    return 0;
}

typedef struct named_row {
    const char *name;
    int row;
} named_row;

static int by_name(const void *a, const void *b) {
    const named_row *x = a;
    const named_row *y = b;
    int c = strcmp(x->name, y->name);
    return c ? c : (x->row > y->row) - (x->row < y->row);
}

/* The rows in order of their names, which must be there. */
static named_row *sorted_rows(const bml_classify_table *t, int c) {
    named_row *r = zeroed(t->n_rows, sizeof *r);
    if (!t->column[c].text) {
        fail("%s: column '%s' must hold text", t->name, t->column[c].name);
    }
    for (int i = 0; i < t->n_rows; i++) {
        r[i].name = t->column[c].text[i];
        r[i].row = i;
        if (!*r[i].name) {
            fail("%s:%ld: no source name", t->name, t->line[i]);
        }
        if (strlen(r[i].name) >= NAME) {
            fail("%s:%ld: name '%.60s' is too long", t->name, t->line[i], r[i].name);
        }
    }
    qsort(r, (size_t)t->n_rows, sizeof *r, by_name);
    return r;
}

/* Columns of numbers of a table of points. */
typedef struct long_table {
    double *nu;    /* log10 Hz */
    double *flux;  /* log10; NaN: not positive or missing */
    double *error; /* dex */
    double *limit; /* 0 or 1 */
} long_table;

static void read_columns(long_table *v, const bml_classify_table *t) {
    static const char *const frequency[] = {"nu_Hz", "log10_nu_Hz", "energy_eV", "energy_keV", NULL};
    static const char *const flux[] = {"nuFnu_erg_cm2_s", "log10_nuFnu", NULL};
    static const char *const error[] = {"err", "err_dex", NULL};
    static const char *const limit[] = {"is_ul", "upper_limit", NULL};
    int nu = find_column(t, frequency);
    int f = find_column(t, flux);
    int e = find_column(t, error);
    int u = find_column(t, limit);
    if (nu < 0) {
        fail("%s: no column nu_Hz, log10_nu_Hz, energy_eV or energy_keV", t->name);
    }
    if (f < 0) {
        fail("%s: no column nuFnu_erg_cm2_s or log10_nuFnu", t->name);
    }
    v->nu = column_values(t, nu);
    v->flux = column_values(t, f);
    v->error = column_values(t, e);
    v->limit = column_flags(t, u);
    double shift = !strcasecmp(t->column[nu].name, "energy_eV") ? 14.383489 : 17.383489; /* log10 of 1 eV/h in Hz */
    for (int i = 0; i < t->n_rows; i++) {
        double linear = strncasecmp(t->column[f].name, "log10", 5) ? v->flux[i] : pow(10, v->flux[i]);
        if (strncasecmp(t->column[nu].name, "log10", 5)) {
            if (!(v->nu[i] > 0)) {
                fail("%s:%ld: '%s' must be positive", t->name, t->line[i], t->column[nu].name);
            }
            v->nu[i] = log10(v->nu[i]) + (strncasecmp(t->column[nu].name, "nu", 2) ? shift : 0);
        }
        if (!(v->nu[i] > 5 && v->nu[i] < 30)) {
            fail("%s:%ld: frequency 10^%g Hz is not between 10^5 and 10^30", t->name, t->line[i], v->nu[i]);
        }
        if (linear > 1e100 || isinf(linear)) {
            fail("%s:%ld: %s: a flux of %g: beyond 1e100, no measurement", t->name, t->line[i], t->column[f].name,
                 linear);
        }
        v->flux[i] = linear > 0 ? log10(linear) : (double)NAN;
        if (v->error[i] < 0) {
            fail("%s:%ld: the error must not be negative", t->name, t->line[i]);
        }
        if (e >= 0 && !strcasecmp(t->column[e].name, "err")) {
            v->error[i] = 0.4343 * v->error[i] / linear;
        }
        if (!isfinite(v->error[i])) {
            v->error[i] = 0;
        }
    }
}

/* A table of points, in any order, to one SED per source. */
static void read_long(sed_set *set, const bml_classify_table *t, int name, const settings *s) {
    long_table v = {0};
    named_row *r = sorted_rows(t, name);
    int labels = bml_classify_table_find(t, "label");
    int label = 0;
    read_columns(&v, t);
    for (int i = 0; i < t->n_rows; i++) {
        int k = r[i].row;
        int here = label_of(set, t, labels, k, s);
        int first = !i || strcmp(r[i].name, r[i - 1].name);
        if (!first && here != label) {
            fail("%s:%ld: '%s' has another label in line %ld", t->name, t->line[k], r[i].name, t->line[r[i - 1].row]);
        }
        label = here;
        if (label == LEFT_OUT) {
            continue;
        }
        if (first) {
            add_sed(set, r[i].name, label);
        }
        if (isnan(v.flux[k])) {
            set->dropped++;
        } else {
            add_point(set, v.nu[k], v.flux[k], v.error[k], v.limit[k] > 0);
        }
    }
    free(v.nu);
    free(v.flux);
    free(v.error);
    free(v.limit);
    free(r);
}

/* Columns of a wide table by name: flux, flag of upper limits, error in magnitudes, log10 Hz. */
static const struct wide_band {
    const char *flux;
    const char *limit;
    const char *error;
    double nu;
} wide_bands[] = {{"nufnu_1p4GHz", "ul_1p4GHz", NULL, 9.146}, {"nufnu_z", NULL, "sig_mag_z", 14.526},
                  {"nufnu_i", NULL, "sig_mag_i", 14.603},     {"nufnu_r", NULL, "sig_mag_r", 14.687},
                  {"nufnu_g", NULL, "sig_mag_g", 14.806},     {"nufnu_u", NULL, "sig_mag_u", 14.926},
                  {"fx_0p1_2p4keV", "ul_x", NULL, 17.383}};
enum { N_WIDE = sizeof wide_bands / sizeof wide_bands[0] };

/* log10 Hz of a column of fluxes, NaN if it is none; *known is its row in wide_bands, or -1. */
static double wide_frequency(const char *name, int *known) {
    for (*known = 0; *known < N_WIDE; ++*known) {
        if (!strcasecmp(name, wide_bands[*known].flux)) {
            return wide_bands[*known].nu;
        }
    }
    *known = -1;
    if (strncasecmp(name, "nufnu_", 6)) {
        return (double)NAN;
    }
    char *end;
    double nu = strtod(name + 6, &end);
    return end > name + 6 && !strcasecmp(end, "Hz") && nu > 1e5 && nu < 1e30 ? log10(nu) : (double)NAN;
}

/* A row for each source. */
static void read_wide(sed_set *set, const bml_classify_table *t, int name, const settings *s) {
    double *flux[MAX_BANDS];
    double *limit[MAX_BANDS];
    double *error[MAX_BANDS];
    double nu[MAX_BANDS];
    named_row *r = sorted_rows(t, name);
    int labels = bml_classify_table_find(t, "label");
    int n = 0;
    int known;
    for (int c = 0; c < t->n_columns; c++) {
        double at = wide_frequency(t->column[c].name, &known);
        if (isnan(at)) {
            continue;
        }
        if (n == MAX_BANDS) {
            fail("%s: more than %d columns of fluxes", t->name, MAX_BANDS);
        }
        nu[n] = at;
        flux[n] = column_values(t, c);
        limit[n] = column_flags(
            t, known < 0 || !wide_bands[known].limit ? -1 : bml_classify_table_find(t, wide_bands[known].limit));
        error[n++] = column_values(
            t, known < 0 || !wide_bands[known].error ? -1 : bml_classify_table_find(t, wide_bands[known].error));
    }
    if (!n) {
        fail("%s: neither a table of points (nu_Hz, ...) nor one with columns nufnu_...", t->name);
    }
    for (int i = 0; i < t->n_rows; i++) {
        int k = r[i].row;
        int label = label_of(set, t, labels, k, s);
        if (i && !strcmp(r[i].name, r[i - 1].name)) {
            fail("%s:%ld: the source '%s' stands in line %ld too", t->name, t->line[k], r[i].name,
                 t->line[r[i - 1].row]);
        }
        if (label == LEFT_OUT) {
            continue;
        }
        add_sed(set, r[i].name, label);
        for (int c = 0; c < n; c++) {
            if (!(flux[c][k] > 0) || !isfinite(flux[c][k])) {
                set->dropped += !isnan(flux[c][k]);
            } else {
                add_point(set, nu[c], log10(flux[c][k]), error[c][k] > 0 ? 0.4 * error[c][k] : 0, limit[c][k] > 0);
            }
        }
    }
    for (int c = 0; c < n; c++) {
        free(flux[c]);
        free(limit[c]);
        free(error[c]);
    }
    free(r);
}

/* Labels from a second table (source, label), for sources that have none. */
static void read_labels(sed_set *set, const settings *s) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    static const char *const names[] = {"source", "name", NULL};
    bml_classify_table *t = NULL;
    if (bml_classify_table_read(&t, s->labels, why)) {
        fail("%s", why);
    }
    int name = find_column(t, names);
    int label = bml_classify_table_find(t, "label");
    if (name < 0 || label < 0) {
        fail("%s: needs the columns source and label", s->labels);
    }
    named_row *r = sorted_rows(t, name);
    for (int i = 1; i < t->n_rows; i++) {
        if (!strcmp(r[i].name, r[i - 1].name)) {
            fail("%s:%ld: the source '%s' stands twice", t->name, t->line[r[i].row], r[i].name);
        }
    }
    named_row key;
    for (int i = 0; i < set->n; i++) {
        int lo = 0;
        int hi = t->n_rows;
        key.name = set->sed[i].name;
        while (lo < hi) {
            int mid = (lo + hi) / 2;
            if (strcmp(r[mid].name, key.name) < 0) {
                lo = mid + 1;
            } else {
                hi = mid;
            }
        }
        named_row *hit = lo < t->n_rows && !strcmp(r[lo].name, key.name) ? &r[lo] : NULL;
        if (hit && set->sed[i].label < 0) {
            set->sed[i].label = label_of(set, t, label, hit->row, s);
        }
        if (set->sed[i].label == LEFT_OUT) {
            set->sed[i].label = -1;
        }
    }
    free(r);
    bml_classify_table_free(t);
}

/* Reads either kind of table. */
static void read_seds(sed_set *set, const char *path, const settings *s) {
    static const char *const source[] = {"source", "name", "Source_Name", NULL};
    char why[BML_CLASSIFY_MESSAGE] = "";
    char err[ERROR_SIZE];
    bml_classify_table *t = NULL;
    int wide = 0;
    if (strcmp(path, "-")) {
        if (bml_classify_table_read(&t, path, why)) {
            fail("%s", why);
        }
    } else {
        text_file text;
        if (text_open(&text, path, err)) {
            fail("%s", err);
        }
        if (bml_classify_table_parse(&t, text.data, (size_t)(text.end - text.data), text.name, why)) {
            fail("%s", why);
        }
        text_close(&text);
    }
    int name = find_column(t, source);
    if (name < 0) {
        fail("%s: no column source or name", t->name);
    }
    int known;
    for (int c = 0; c < t->n_columns; c++) {
        wide |= !isnan(wide_frequency(t->column[c].name, &known));
    }
    if (wide) {
        read_wide(set, t, name, s);
    } else {
        read_long(set, t, name, s);
    }
    bml_classify_table_free(t);
}
#endif
