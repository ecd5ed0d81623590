/* sed.h: reads tables of spectral energy distributions: frequency or energy, flux, errors, upper limits, instrument.

     #include "common.h"
     #define BML_SSC_IMPLEMENTATION
     #include "bml_ssc.h"
     #include "sed.h"
     sed_table sed;
     char err[ERROR_SIZE];
     if (sed_read(&sed, "mrk421.csv", 0, err)) fail("%s", err);    "mrk421.csv:17: flux '-1e-12' must be positive"
     for (int i = 0; i < sed.n; i++) printf("%g Hz %s\n", sed.point[i].nu, sed.instrument[i]);
     sed_free(&sed);

   Two formats, told apart by the first line:

   CSV. Comment lines begin with #; `# redshift: 0.557`, `# source: NAME` and `# confidence: 0.95` are read. The first
   other line names the columns, and in each name the unit, its first factor above the fraction line and the rest below:
   nuFnu_erg_cm2_s is nuFnu in erg/(cm2 s). Then a line for each point:

       nu_Hz,nuFnu_erg_cm2_s,err_lo_dex,err_hi_dex,upper_limit,instrument
       8.57e14,5.96e-13,0.04,0.04,0,Swift-UVOT

       nu_U energy_U wavelength_U    one of them: nu_Hz, nu_GHz, energy_keV, energy_TeV, wavelength_nm, ...
       nuFnu_U Fnu_U dnde_U          one of them: nuFnu_erg_cm2_s, nuFnu_MeV_cm2_s, Fnu_mJy, dnde_1_cm2_s_TeV, ...
       log10_...                     before any of these: the column holds the logarithm of the number
       err_U, or err_lo_U and err_hi_U   one-sigma errors, U a unit of flux or dex; a table that needs both kinds has
                                     both columns and leaves one of them empty in each line
       upper_limit                   optional: 1 where the flux is a limit, else 0 or empty. There, err_U or err_hi_U
                                     is the Gaussian sigma of the limit, in a unit of flux; empty or 0: from confidence
       confidence                    optional: one-sided confidence level of the limit, above 0.5
       instrument                    optional: for the key of the picture
       _ANYTHING                     left alone. Any other name is an error, so that typing errors do not pass

   ECSV (first line `# %ECSV ...`) as astropy, agnpy, gammapy, JetSeT and naima write it: names and units from the YAML
   header, blanks or commas between, redshift, source and confidence level from meta (naima's cl, gammapy's UL_CONF).
   Columns with other names than those in sed_aliases are left alone. Errors of upper limits are not used: these
   programs give them no meaning, so sigma comes from the confidence level. Tables in the source's frame are refused.

   Where nothing states a confidence level, the caller's holds, 0.95 by default: the limit is 1.645 sigma (naima's own
   default is 0.90). Points come in any order, duplicates included, and are returned in order of frequency. */
#ifndef SED_H
#define SED_H
#include "common.h"
#include "bml_ssc.h" /* the points; define BML_SSC_IMPLEMENTATION before it in one file of the program */
#include <strings.h>

enum { SED_MAX_POINTS = 100000, SED_MAX_COLUMNS = 64, SED_INSTRUMENT = 32 };

typedef struct sed_table {
    int n;
    bml_ssc_point *point;               /* [n], nu ascending */
    char (*instrument)[SED_INSTRUMENT]; /* [n], empty where the table names none */
    double redshift;                    /* NaN if the file has none */
    char source[64];                    /* empty if the file has none */
} sed_table;

static inline void sed_free(sed_table *t) {
    free(t->point);
    free(t->instrument);
    t->point = NULL;
    t->instrument = NULL;
    t->n = 0;
}

/* ==== units =======================================================================================================
   A unit is a factor to cgs times energy^a length^b time^c. Written as products: "erg / (cm2 s)", "TeV-1 cm-2 s-1",
   "1 / (cm2 s TeV)", "1e-12 erg/(cm^2 s)"; a slash divides by all that follows it up to the next slash. */

typedef struct sed_unit {
    double factor;
    int energy, length, time; /* powers of erg, cm, s */
    int dex;                  /* a logarithm */
} sed_unit;

static const struct {
    const char *name;
    sed_unit unit;
} sed_units[] = {
    {"erg", {1, 1, 0, 0, 0}},
    {"J", {1e7, 1, 0, 0, 0}},
    {"eV", {1.602176634e-12, 1, 0, 0, 0}},
    {"keV", {1.602176634e-9, 1, 0, 0, 0}},
    {"MeV", {1.602176634e-6, 1, 0, 0, 0}},
    {"GeV", {1.602176634e-3, 1, 0, 0, 0}},
    {"TeV", {1.602176634, 1, 0, 0, 0}},
    {"PeV", {1602.176634, 1, 0, 0, 0}},
    {"W", {1e7, 1, 0, -1, 0}},
    {"Hz", {1, 0, 0, -1, 0}},
    {"kHz", {1e3, 0, 0, -1, 0}},
    {"MHz", {1e6, 0, 0, -1, 0}},
    {"GHz", {1e9, 0, 0, -1, 0}},
    {"THz", {1e12, 0, 0, -1, 0}},
    {"s", {1, 0, 0, 1, 0}},
    {"cm", {1, 0, 1, 0, 0}},
    {"m", {1e2, 0, 1, 0, 0}},
    {"mm", {1e-1, 0, 1, 0, 0}},
    {"um", {1e-4, 0, 1, 0, 0}},
    {"micron", {1e-4, 0, 1, 0, 0}},
    {"nm", {1e-7, 0, 1, 0, 0}},
    {"Angstrom", {1e-8, 0, 1, 0, 0}},
    {"AA", {1e-8, 0, 1, 0, 0}},
    {"Jy", {1e-23, 1, -2, 0, 0}},
    {"mJy", {1e-26, 1, -2, 0, 0}},
    {"uJy", {1e-29, 1, -2, 0, 0}},
    {"ph", {1, 0, 0, 0, 0}},
    {"photon", {1, 0, 0, 0, 0}},
    {"dex", {1, 0, 0, 0, 1}},
};

/* a *= b^power. */
static inline void sed_unit_multiply(sed_unit *a, const sed_unit *b, int power) {
    a->factor *= pow(b->factor, power);
    a->energy += power * b->energy;
    a->length += power * b->length;
    a->time += power * b->time;
    a->dex |= b->dex;
    if (abs(a->energy) + abs(a->length) + abs(a->time) > 99) a->factor = 0; /* no unit, and an overflow to come */
}

static inline const char *sed_skip(const char *s) {
    while (*s == ' ' || *s == '\t')
        s++;
    return s;
}

/* A power after a factor: "2", "-2", "^2", "**-2", "(-2)"; 1 when there is none. */
static inline int sed_unit_power(const char **s) {
    const char *p = *s;
    p += *p == '^' ? 1 : !strncmp(p, "**", 2) ? 2 : 0;
    int bracket = *p == '(' && p > *s;
    p += bracket;
    char *end;
    long power = strtol(p, &end, 10);
    if (end == p || labs(power) > 30 || is_space(*p)) return 1;
    *s = end + (bracket && *end == ')');
    return (int)power;
}

static inline int sed_unit_product(sed_unit *u, const char **s, int depth, const char *whole, char *wrong, size_t size);

/* One factor: a number, a name from the table, or a bracket; raised to a power. */
static inline int sed_unit_factor(sed_unit *u, const char **s, int sign, int depth, const char *whole, char *wrong,
                                  size_t size) {
    sed_unit factor = {1, 0, 0, 0, 0};
    size_t length = 0;
    size_t n = sizeof sed_units / sizeof *sed_units;
    if (**s == '(' && depth < 8) {
        (*s)++;
        if (sed_unit_product(&factor, s, depth + 1, whole, wrong, size)) return -1;
        if (**s == ')') (*s)++;
    } else if (**s >= '0' && **s <= '9') {
        char *end;
        factor.factor = strtod(*s, &end);
        *s = end;
    } else {
        while (((*s)[length] | 32) >= 'a' && ((*s)[length] | 32) <= 'z')
            length++;
        size_t i;
        for (i = 0; i < n && !(strlen(sed_units[i].name) == length && !strncmp(sed_units[i].name, *s, length));)
            i++;
        if (i == n) {
            snprintf(wrong, size, "%.*s", (int)(length && length < 40 ? length : strcspn(whole, "\n") % 40),
                     length ? *s : whole);
            return -1;
        }
        factor = sed_units[i].unit;
        *s += length;
    }
    sed_unit_multiply(u, &factor, sign * sed_unit_power(s));
    return 0;
}

static inline int sed_unit_product(sed_unit *u, const char **s, int depth, const char *whole, char *wrong,
                                   size_t size) {
    int sign = 1;
    for (;;) {
        *s = sed_skip(*s);
        if (**s == '/') sign = -1;
        if (**s == '/' || **s == '*' || **s == '.') *s = sed_skip(*s + 1);
        if (!**s || **s == ')') return 0;
        if (sed_unit_factor(u, s, sign, depth, whole, wrong, size)) return -1;
    }
}

/* Reads a whole unit. On failure writes into wrong the part that is unknown. */
static inline int sed_unit_read(sed_unit *u, const char *whole, char *wrong, size_t size) {
    static const sed_unit one = {1, 0, 0, 0, 0};
    const char *s = whole;
    *u = one;
    if (sed_unit_product(u, &s, 0, whole, wrong, size)) return -1;
    if (!*s && isfinite(u->factor) && u->factor > 0) return 0;
    snprintf(wrong, size, "%.40s", whole);
    return -1;
}

/* ==== columns ===================================================================================================== */

/* What a column holds. The roles with an error in dex follow those with one in flux units. */
enum {
    SED_NU,
    SED_FLUX,
    SED_LIMIT,
    SED_ERR,
    SED_LO,
    SED_HI,
    SED_ERR_DEX,
    SED_LO_DEX,
    SED_HI_DEX,
    SED_UPPER,
    SED_CONFIDENCE,
    SED_NAME,
    SED_ROLES
};

/* The beginning of a CSV column's name (the unit follows), or its whole name. */
static const struct {
    const char *name;
    int role, has_unit;
} sed_names[] = {
    {"nu_", SED_NU, 1},
    {"energy_", SED_NU, 1},
    {"wavelength_", SED_NU, 1},
    {"nuFnu_", SED_FLUX, 1},
    {"Fnu_", SED_FLUX, 1},
    {"dnde_", SED_FLUX, 1},
    {"err_lo_", SED_LO, 1},
    {"err_hi_", SED_HI, 1},
    {"err_", SED_ERR, 1},
    {"upper_limit", SED_UPPER, 0},
    {"confidence", SED_CONFIDENCE, 0},
    {"instrument", SED_NAME, 0},
};

/* ECSV names of each role, the preferred first; capitals do not matter. */
static const char *const sed_aliases[SED_ROLES][8] = {
    {"e_ref", "energy", "nu", "freq", "frequency", "x", "wavelength"},
    {"e2dnde", "nuFnu", "flux", "dnde", "y", "Fnu"},
    {"e2dnde_ul", "flux_ul", "dnde_ul"},
    {"e2dnde_err", "nuFnu_err", "flux_error", "flux_err", "dnde_err", "dy", "Fnu_err", "err"},
    {"e2dnde_errn", "nuFnu_errn", "flux_error_lo", "flux_errn", "dnde_errn", "nuFnu_err_lo", "err_lo"},
    {"e2dnde_errp", "nuFnu_errp", "flux_error_hi", "flux_errp", "dnde_errp", "nuFnu_err_hi", "err_hi"},
    {NULL},
    {NULL},
    {NULL},
    {"ul", "is_ul", "upper_limit"},
    {"cl", "confidence"},
    {"instrument", "data_set", "dataset", "telescope"},
};

typedef struct sed_column {
    char name[64];
    char unit_text[64];
    sed_unit unit;
    int log10;
} sed_column;

/* How a flux becomes nuFnu: multiplied by nu^a E^b lambda^c, as its dimension tells. */
static const struct {
    int energy, length, time, nu, photon_energy, wavelength;
} sed_fluxes[] = {
    {1, -2, -1, 0, 0, 0},  /* nuFnu, nu F_nu, E^2 dN/dE */
    {1, -2, 0, 1, 0, 0},   /* F_nu */
    {-1, -2, -1, 0, 2, 0}, /* dN/dE */
    {1, -3, -1, 0, 0, 1},  /* F_lambda */
};

/* One table while it is read. */
typedef struct sed_reader {
    text_file in;
    char *err;
    int ecsv, n_columns, scale_log10; /* scale_log10: JetSeT's log-log tables */
    char separator;
    sed_column column[SED_MAX_COLUMNS];
    int at[SED_ROLES]; /* column of each role, or -1 */
    int flux_kind;     /* row of sed_fluxes */
    double confidence;
    sed_table *table;
    int room;
} sed_reader;

static inline int sed_unit_at(sed_reader *r, sed_column *c, long line) {
    char wrong[64];
    if (!*trim(c->unit_text)) return error_at(r->err, r->in.name, line, "column '%s' has no unit", c->name);
    if (sed_unit_read(&c->unit, trim(c->unit_text), wrong, sizeof wrong))
        return error_at(r->err, r->in.name, line, "column '%s': unknown unit '%s'", c->name, wrong);
    return 0;
}

/* The units of the columns in use must suit their roles. */
static inline int sed_check_units(sed_reader *r, long line) {
    int kind;
    int n_kinds = (int)(sizeof sed_fluxes / sizeof *sed_fluxes);
    for (int role = SED_NU; role <= SED_HI_DEX; role++) {
        sed_column *c = r->at[role] < 0 ? NULL : &r->column[r->at[role]];
        const sed_unit *u = c ? &c->unit : NULL;
        const char *wanted = NULL;
        if (!c) continue;
        if (r->ecsv && sed_unit_at(r, c, line)) return -1;
        if (role == SED_NU) {
            int sum = abs(u->energy) + abs(u->length) + abs(u->time);
            if (u->dex || sum != 1 || (u->energy != 1 && u->length != 1 && u->time != -1))
                wanted = "frequency, energy or wavelength";
        } else if (role == SED_FLUX) {
            for (kind = 0; kind < n_kinds; kind++)
                if (sed_fluxes[kind].energy == u->energy && sed_fluxes[kind].length == u->length &&
                    sed_fluxes[kind].time == u->time)
                    break;
            if (kind == n_kinds || u->dex) wanted = "flux";
            r->flux_kind = kind;
        } else if (!u->dex) {
            const sed_unit *flux = &r->column[r->at[SED_FLUX]].unit;
            if (u->energy != flux->energy || u->length != flux->length || u->time != flux->time)
                wanted = "flux like that of the points";
        } else if (role < SED_ERR) {
            wanted = "flux";
        }
        if (wanted)
            return error_at(r->err, r->in.name, line, "column '%s': '%s' is no unit of %s", c->name, c->unit_text,
                            wanted);
        if (r->scale_log10 && role <= SED_LIMIT) c->log10 = 1;
        if (u->dex || (r->scale_log10 && role >= SED_ERR)) { /* an error in dex: the role three further on */
            if (role < SED_ERR_DEX) {
                r->at[role + 3] = r->at[role];
                r->at[role] = -1;
            }
        }
    }
    return 0;
}

/* What every table must have. */
static inline int sed_check_columns(sed_reader *r, long line) {
    const int *at = r->at;
    const char *missing = NULL;
    if (at[SED_NU] < 0)
        missing = r->ecsv ? "energy or frequency (e_ref, energy, nu, x)" : "nu_... or energy_...";
    else if (at[SED_FLUX] < 0)
        missing = r->ecsv ? "flux (e2dnde, flux, dnde, y)" : "nuFnu_...";
    else if (at[SED_ERR] < 0 && at[SED_ERR_DEX] < 0 && at[SED_LO] < 0 && at[SED_LO_DEX] < 0)
        missing = r->ecsv ? "errors (e2dnde_err, flux_error, dy)" : "err_... or err_lo_...";
    else if ((at[SED_LO] >= 0 || at[SED_LO_DEX] >= 0) && at[SED_HI] < 0 && at[SED_HI_DEX] < 0)
        missing = r->ecsv ? "upper errors" : "err_hi_...";
    if (!missing) return 0;
    return error_at(r->err, r->in.name, line, "no column %s", missing);
}

/* ==== one point =================================================================================================== */

/* The number in a cell, above zero (or, if zero_too, zero). */
static inline int sed_number(sed_reader *r, double *value, const char *cell, const char *what, int zero_too) {
    const char *wrong = read_real(value, cell);
    if (wrong) return error_at(r->err, r->in.name, r->in.line, "%s '%.40s' %s", what, cell, wrong);
    if (*value > 0 || (zero_too && *value == 0)) return 0; /* 0: *value is never NaN here */
    return error_at(r->err, r->in.name, r->in.line, "%s '%.40s' must be %s", what, cell,
                    zero_too ? "zero or more" : "positive");
}

/* The same in a column that may hold logarithms; the result in cgs. */
static inline int sed_quantity(sed_reader *r, double *value, const char *cell, int role, const char *what) {
    const sed_column *c = &r->column[r->at[role]];
    if (c->log10) {
        const char *wrong = read_real(value, cell);
        if (wrong) return error_at(r->err, r->in.name, r->in.line, "%s '%.40s' %s", what, cell, wrong);
        *value = pow(10.0, *value);
    } else if (sed_number(r, value, cell, what, 0)) {
        return -1;
    }
    *value *= c->unit.factor;
    if (isfinite(*value) && *value > 0) return 0;
    return error_at(r->err, r->in.name, r->in.line, "%s '%.40s' is out of range", what, cell);
}

static const double SED_PLANCK = 6.62607015e-27; /* [erg s] */
static const double SED_EV = 4.135667696e-15;    /* [eV s] */
static const double SED_LIGHT = 2.99792458e10;   /* [cm/s] */

/* Frequency [Hz] of the point. */
static inline int sed_frequency(sed_reader *r, double *nu, const char *cell) {
    const sed_unit *u = &r->column[r->at[SED_NU]].unit;
    if (sed_quantity(r, nu, cell, SED_NU, "frequency or energy")) return -1;
    if (u->energy) *nu /= SED_PLANCK;
    if (u->length) *nu = SED_LIGHT / *nu;
    if (isfinite(*nu) && *nu > 0) return 0;
    return error_at(r->err, r->in.name, r->in.line, "frequency or energy '%.40s' is out of range", cell);
}

/* Factor from the flux at nu in cgs to nuFnu. */
static inline double sed_flux_factor(const sed_reader *r, double nu) {
    return pow(nu, sed_fluxes[r->flux_kind].nu) * pow(SED_PLANCK * nu, sed_fluxes[r->flux_kind].photon_energy) *
           pow(SED_LIGHT / nu, sed_fluxes[r->flux_kind].wavelength);
}

/* One or zero from 1, 0, True, False, yes, no, empty; -1 from anything else. */
static inline int sed_truth(const char *cell) {
    static const char *const words[] = {"", "0", "false", "no", "f", "1", "true", "yes", "t"};
    for (int i = 0; i < 9; i++)
        if (!strcasecmp(cell, words[i])) return i > 4;
    return -1;
}

/* z with Phi(z) = confidence, for confidence above 0.5: how many sigma a one-sided limit is. */
static inline double sed_sigmas(double confidence) {
    double lo = 0;
    double hi = 10;
    for (int i = 0; i < 60; i++) {
        double z = 0.5 * (lo + hi);
        if (0.5 * erfc(z / sqrt(2.0)) > 1 - confidence)
            lo = z;
        else
            hi = z;
    }
    return 0.5 * (lo + hi);
}

/* Reads the level and refuses what is no confidence level of a limit. */
static inline int sed_confidence(sed_reader *r, double *level, const char *cell, long line) {
    const char *wrong = read_real(level, cell);
    if (!wrong && !(*level > 0.5 && *level < 1)) wrong = "is not between 0.5 and 1";
    return wrong ? error_at(r->err, r->in.name, line, "confidence level '%.40s' %s", cell, wrong) : 0;
}

/* The sigma of an upper limit: its own if the table gives one, else from the confidence level. */
static inline int sed_limit(sed_reader *r, bml_ssc_point *p, char *const *cell, double factor) {
    int role = *cell[SED_HI] ? SED_HI : SED_ERR;
    double level = r->confidence;
    double sigma = 0;
    if (!r->ecsv) {
        if ((*cell[SED_HI_DEX] && strtod(cell[SED_HI_DEX], NULL) != 0) ||
            (*cell[SED_ERR_DEX] && strtod(cell[SED_ERR_DEX], NULL) != 0))
            return error_at(
                r->err, r->in.name, r->in.line,
                "the error of an upper limit is its sigma in a unit of flux, not in dex; or leave it empty");
        if (*cell[role]) {
            if (sed_number(r, &sigma, cell[role], "sigma of the limit", 1)) return -1;
            sigma *= r->column[r->at[role]].unit.factor * factor;
        }
    }
    if (*cell[SED_CONFIDENCE] && sed_confidence(r, &level, cell[SED_CONFIDENCE], r->in.line)) return -1;
    p->sigma_lo = 0;
    p->sigma_hi = sigma > 0 ? sigma : p->nuFnu / sed_sigmas(level);
    if (isfinite(p->sigma_hi) && p->sigma_hi > 0) return 0;
    return error_at(r->err, r->in.name, r->in.line, "sigma of the limit is out of range");
}

/* One side's error of a detection, in dex. side: SED_LO or SED_HI; SED_ERR stands in where the side has none. */
static inline int sed_error(sed_reader *r, double *dex, const bml_ssc_point *p, char *const *cell, int side,
                            double factor) {
    const char *what = side == SED_LO ? "lower error" : "upper error";
    int own = *cell[side] || *cell[side + 3] ? side : SED_ERR; /* in flux units; three further on, in dex */
    int role = *cell[own] ? own : own + 3;
    bml_ssc_point q = *p;
    double e = 0;
    if (!*cell[role]) return error_at(r->err, r->in.name, r->in.line, "%s is missing", what);
    if (*cell[own] && *cell[own + 3])
        return error_at(r->err, r->in.name, r->in.line, "%s given both in dex and in a unit of flux", what);
    if (sed_number(r, &e, cell[role], what, 0)) return -1;
    if (role >= SED_ERR_DEX) {
        *dex = e;
    } else {
        e *= r->column[r->at[role]].unit.factor * factor;
        bml_ssc_point_errors(&q, e, e);
        *dex = side == SED_LO ? q.sigma_lo : q.sigma_hi;
    }
    if (isfinite(*dex) && *dex > 0) return 0;
    return error_at(r->err, r->in.name, r->in.line, "%s '%.40s' is out of range", what, cell[role]);
}

/* Copies s, shortened to whole UTF-8 characters. */
static inline void sed_copy(char *to, size_t size, const char *s) {
    size_t n = strlen(s);
    if (n >= size)
        for (n = size - 1; n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80;)
            n--;
    memcpy(to, s, n);
    to[n] = 0;
}

/* A point from the cells of a line, one per role; a role without a column has an empty cell. */
static inline int sed_point(sed_reader *r, bml_ssc_point *p, char *const *cell) {
    int flux = SED_FLUX;
    memset(p, 0, sizeof *p);
    p->upper_limit = sed_truth(cell[SED_UPPER]);
    if (p->upper_limit < 0)
        return error_at(r->err, r->in.name, r->in.line, "upper limit '%.40s' is neither 0 nor 1", cell[SED_UPPER]);
    if (p->upper_limit && r->at[SED_LIMIT] >= 0) flux = SED_LIMIT;
    if (sed_frequency(r, &p->nu, cell[SED_NU]) || sed_quantity(r, &p->nuFnu, cell[flux], flux, "flux")) return -1;
    double factor = sed_flux_factor(r, p->nu);
    p->nuFnu *= factor;
    if (!isfinite(p->nuFnu) || !(p->nuFnu > 0))
        return error_at(r->err, r->in.name, r->in.line, "flux '%.40s' is out of range", cell[flux]);
    if (p->upper_limit) return sed_limit(r, p, cell, factor);
    return sed_error(r, &p->sigma_lo, p, cell, SED_LO, factor) || sed_error(r, &p->sigma_hi, p, cell, SED_HI, factor)
               ? -1
               : 0;
}

/* ==== lines ======================================================================================================= */

static inline int sed_add(sed_reader *r, const bml_ssc_point *p, const char *instrument) {
    sed_table *t = r->table;
    if (t->n == SED_MAX_POINTS) return error_at(r->err, r->in.name, r->in.line, "more than %d points", SED_MAX_POINTS);
    if (t->n == r->room) {
        int room = r->room ? 2 * r->room : 64;
        bml_ssc_point *point = realloc(t->point, (size_t)room * sizeof *point);
        char(*names)[SED_INSTRUMENT];
        if (point) t->point = point;
        names = realloc(t->instrument, (size_t)room * sizeof *names);
        if (names) t->instrument = names;
        if (!point || !names) return error_set(r->err, "%.300s: out of memory", r->in.name);
        r->room = room;
    }
    t->point[t->n] = *p;
    sed_copy(t->instrument[t->n++], SED_INSTRUMENT, instrument);
    return 0;
}

static inline int sed_points(sed_reader *r) {
    char *line;
    char *field[SED_MAX_COLUMNS];
    char *cell[SED_ROLES];
    char none[1] = "";
    bml_ssc_point p;
    while ((line = text_line(&r->in))) {
        if (!*sed_skip(line) || *sed_skip(line) == '#') continue;
        int n = split(field, SED_MAX_COLUMNS, line, r->separator);
        if (n < 0) return error_at(r->err, r->in.name, r->in.line, "a quote is not closed");
        if (n != r->n_columns)
            return error_at(r->err, r->in.name, r->in.line, "%s%d fields where the header names %d columns",
                            n > SED_MAX_COLUMNS ? "more than " : "", n > SED_MAX_COLUMNS ? SED_MAX_COLUMNS : n,
                            r->n_columns);
        for (int role = 0; role < SED_ROLES; role++)
            cell[role] = r->at[role] < 0 ? none : trim(field[r->at[role]]);
        if (sed_point(r, &p, cell) || sed_add(r, &p, cell[SED_NAME])) return -1;
    }
    if (r->table->n == 0) return error_at(r->err, r->in.name, r->in.line, "no data after the header");
    return 0;
}

/* Sets redshift, source or confidence level if the key is one of theirs. */
static inline int sed_meta(sed_reader *r, const char *key, const char *value, long line) {
    if (!strcasecmp(key, "redshift") || !strcasecmp(key, "z")) {
        double z;
        if (!*value || !strcmp(value, "null") || !strcmp(value, "~")) return 0;
        const char *wrong = read_real(&z, value);
        if (!wrong && z < 0) wrong = "must be zero or more";
        if (wrong) return error_at(r->err, r->in.name, line, "redshift '%.40s' %s", value, wrong);
        r->table->redshift = z;
    } else if (!strcasecmp(key, "source") || !strcasecmp(key, "obj_name") || !strcasecmp(key, "object")) {
        sed_copy(r->table->source, sizeof r->table->source, value);
    } else if (!strcasecmp(key, "confidence") || !strcasecmp(key, "cl") || !strcasecmp(key, "UL_CONF")) {
        return *value ? sed_confidence(r, &r->confidence, value, line) : 0;
    }
    return 0;
}

/* ==== CSV header ================================================================================================== */

/* A column name such as log10_nuFnu_erg_cm2_s. */
static inline int sed_csv_column(sed_reader *r, sed_column *c, const char *name, int index) {
    size_t n_names = sizeof sed_names / sizeof *sed_names;
    const char *rest = name;
    sed_copy(c->name, sizeof c->name, name);
    if (*name == '_') return 0;
    if (!strncmp(rest, "log10_", 6)) {
        c->log10 = 1;
        rest += 6;
    }
    size_t i;
    for (i = 0; i < n_names; i++)
        if (sed_names[i].has_unit ? !strncmp(rest, sed_names[i].name, strlen(sed_names[i].name))
                                  : !strcmp(rest, sed_names[i].name))
            break;
    if (i == n_names || (c->log10 && sed_names[i].role > SED_FLUX))
        return error_at(r->err, r->in.name, r->in.line, "unknown column '%.60s'", name);
    int role = sed_names[i].role;
    if (sed_names[i].has_unit) { /* erg_cm2_s -> erg/cm2 s */
        sed_copy(c->unit_text, sizeof c->unit_text, rest + strlen(sed_names[i].name));
        char *unit;
        char slash;
        for (unit = strchr(c->unit_text, '_'), slash = '/'; unit; unit = strchr(unit, '_'), slash = ' ')
            *unit = slash;
        if (sed_unit_at(r, c, r->in.line)) return -1;
        if (c->unit.dex && role >= SED_ERR && role <= SED_HI) role += 3;
    }
    if (r->at[role] >= 0)
        return error_at(r->err, r->in.name, r->in.line, "column '%s' gives what '%s' gives already", c->name,
                        r->column[r->at[role]].name);
    r->at[role] = index;
    return 0;
}

static inline int sed_csv_header(sed_reader *r, char *line) {
    char *field[SED_MAX_COLUMNS];
    int n = split(field, SED_MAX_COLUMNS, line, ',');
    if (n < 0) return error_at(r->err, r->in.name, r->in.line, "a quote is not closed");
    if (n > SED_MAX_COLUMNS) return error_at(r->err, r->in.name, r->in.line, "more than %d columns", SED_MAX_COLUMNS);
    double number;
    if (n < 3 || !read_real(&number, field[0]))
        return error_at(r->err, r->in.name, r->in.line, "no header line (such as nu_Hz,nuFnu_erg_cm2_s,err_dex)");
    for (int i = 0; i < n; i++)
        if (sed_csv_column(r, &r->column[i], field[i], i)) return -1;
    r->n_columns = n;
    r->separator = ',';
    if (sed_check_columns(r, r->in.line)) return -1;
    return sed_check_units(r, r->in.line);
}

/* Comments with their three keys, then the names of the columns. */
static inline int sed_csv(sed_reader *r, char *line) {
    for (; line; line = text_line(&r->in)) {
        char *s = trim(line);
        if (!*s) continue;
        if (*s != '#') return sed_csv_header(r, s);
        char *colon = strchr(s, ':');
        if (!colon) continue;
        *colon = 0;
        s = trim(s + 1);
        if (strcmp(s, "redshift") && strcmp(s, "source") && strcmp(s, "confidence")) continue;
        if (sed_meta(r, s, trim(colon + 1), r->in.line)) return -1;
    }
    return error_at(r->err, r->in.name, r->in.line ? r->in.line : 1, "empty: no header line and no data");
}

/* ==== ECSV header =================================================================================================
   Of YAML only what such headers hold: "key: value" in blocks and in {flow, style}, quoted or plain. A walk over all
   pairs, in order, is enough: a pair `name` under datatype begins a column, `unit` belongs to the last one. */

typedef struct sed_yaml {
    const char *s;
    long line; /* of *s in the file */
    int flow;  /* depth of brackets */
    int top;   /* the pair stands at the left margin */
    char key[64], value[256];
} sed_yaml;

/* Reads a scalar, quoted or up to one of the ends (or ": " for a key). Returns whether it was followed by a colon. */
static inline int sed_yaml_scalar(sed_yaml *y, char *to, size_t size, int is_key) {
    size_t n = 0;
    char quote = *y->s == '\'' || *y->s == '"' ? *y->s++ : 0;
    for (; *y->s; y->s++) {
        char c = *y->s;
        if (quote) {
            if (c == quote && !(quote == '\'' && y->s[1] == '\'')) break;
            if (c == quote || (c == '\\' && quote == '"' && y->s[1])) c = *++y->s;
        } else {
            if (c == ':' && is_key && (!y->s[1] || strchr(" \t\n", y->s[1]))) break;
            if (y->flow ? strchr(",}]", c) != NULL || (is_key && strchr("{[", c)) : c == '\n') break;
        }
        if (c == '\n') {
            y->line++;
            c = ' ';
        }
        if (n + 1 < size) to[n++] = c;
    }
    to[n] = 0;
    if (quote && *y->s) y->s++;
    if (!quote) memmove(to, trim(to), strlen(trim(to)) + 1);
    while (quote && (*y->s == ' ' || *y->s == '\t'))
        y->s++;
    return *y->s == ':';
}

/* The next pair; its value is empty where a block or bracket follows. Returns 0 at the end. */
static inline int sed_yaml_next(sed_yaml *y, const char *start) {
    while (*y->s) {
        char c = *y->s;
        if (c == '\n') y->line++;
        if (c == '{' || c == '[') y->flow++;
        if ((c == '}' || c == ']') && y->flow > 0) y->flow--;
        if (strchr(" \t\n{[}],", c) || (c == '-' && strchr(" \n", y->s[1]))) {
            y->s++;
            continue;
        }
        if (c == '!') { /* a tag */
            while (*y->s && !strchr(" \n{[", *y->s))
                y->s++;
            continue;
        }
        y->top = y->s == start || y->s[-1] == '\n';
        if (!sed_yaml_scalar(y, y->key, sizeof y->key, 1)) continue;
        y->s = sed_skip(y->s + 1);
        if (*y->s == '!')
            while (*y->s && !strchr(" \n{[", *y->s))
                y->s++;
        y->s = sed_skip(y->s);
        y->value[0] = 0;
        if (*y->s && !strchr("{[\n", *y->s)) sed_yaml_scalar(y, y->value, sizeof y->value, 0);
        return 1;
    }
    return 0;
}

/* One pair of the meta data; JetSeT tells there whether the table is observed or redshifted back, linear or not. */
static inline int sed_ecsv_meta(sed_reader *r, const sed_yaml *y, const char *parent) {
    const char *key = !strcmp(y->key, "value") ? parent : y->key;
    if (!strcmp(key, "restframe") && strcmp(y->value, "obs"))
        return error_at(r->err, r->in.name, y->line, "restframe '%.40s': only observed tables (obs) can be read",
                        y->value);
    if (!strcmp(key, "data_scale")) {
        r->scale_log10 = !strcmp(y->value, "log-log");
        if (!r->scale_log10 && strcmp(y->value, "lin-lin"))
            return error_at(r->err, r->in.name, y->line, "data_scale '%.40s' is neither lin-lin nor log-log", y->value);
    }
    return sed_meta(r, key, y->value, y->line);
}

static inline int sed_ecsv_yaml(sed_reader *r, const char *yaml, long line) {
    sed_yaml y = {yaml, line, 0, 0, "", ""};
    char section[64] = "";
    char parent[64] = "";
    while (sed_yaml_next(&y, yaml)) {
        if (y.top) memcpy(section, y.key, sizeof section);
        if (!strcmp(section, "datatype")) {
            if (!strcmp(y.key, "name")) {
                if (r->n_columns == SED_MAX_COLUMNS)
                    return error_at(r->err, r->in.name, y.line, "more than %d columns", SED_MAX_COLUMNS);
                sed_copy(r->column[r->n_columns++].name, sizeof r->column->name, y.value);
            } else if (!strcmp(y.key, "unit") && r->n_columns > 0) {
                sed_copy(r->column[r->n_columns - 1].unit_text, sizeof r->column->unit_text, y.value);
            }
        } else if (y.top && !strcmp(section, "delimiter")) {
            if (strcmp(y.value, ",") && strcmp(y.value, " "))
                return error_at(r->err, r->in.name, y.line, "delimiter '%.40s' is neither a blank nor a comma",
                                y.value);
            r->separator = y.value[0];
        } else if (!strcmp(section, "meta") && sed_ecsv_meta(r, &y, parent)) {
            return -1;
        }
        if (!y.value[0]) memcpy(parent, y.key, sizeof parent);
    }
    return 0;
}

/* The line with the names must agree with the YAML header. */
static inline int sed_ecsv_names(sed_reader *r, char *line) {
    char *field[SED_MAX_COLUMNS];
    int n = split(field, SED_MAX_COLUMNS, line, r->separator);
    if (r->n_columns == 0) return error_at(r->err, r->in.name, r->in.line, "no columns in the ECSV header");
    if (n != r->n_columns)
        return error_at(r->err, r->in.name, r->in.line, "the ECSV header describes %d columns, this line names %d",
                        r->n_columns, n);
    for (int i = 0; i < n; i++)
        if (strncmp(field[i], r->column[i].name, sizeof r->column->name - 1))
            return error_at(r->err, r->in.name, r->in.line, "column %d is '%.60s' here and '%s' in the ECSV header",
                            i + 1, field[i], r->column[i].name);
    for (int role = 0; role < SED_ROLES; role++)
        for (int k = 0; k < 8 && sed_aliases[role][k] && r->at[role] < 0; k++)
            for (int i = 0; i < n; i++)
                if (!strcasecmp(r->column[i].name, sed_aliases[role][k])) r->at[role] = i;
    if (sed_check_columns(r, r->in.line)) return -1;
    return sed_check_units(r, r->in.line);
}

/* Collects the comment lines without their "# ", which is the YAML header. */
static inline int sed_ecsv(sed_reader *r, char *line) {
    char *yaml = malloc(r->in.end ? (size_t)(r->in.end - line) + 2 : 2);
    char *out = yaml;
    if (!yaml) return error_set(r->err, "%.300s: out of memory", r->in.name);
    r->ecsv = 1;
    r->separator = ' ';
    for (line = text_line(&r->in); line; line = text_line(&r->in)) {
        if (!*sed_skip(line)) continue;
        if (*line != '#') break;
        line += line[1] == ' ' ? 2 : 1;
        size_t n = strlen(line);
        memcpy(out, line, n);
        out[n] = '\n';
        out += n + 1;
    }
    *out = 0;
    int bad = sed_ecsv_yaml(r, yaml, 2);
    free(yaml);
    if (bad) return -1;
    if (!line) return error_at(r->err, r->in.name, r->in.line, "no line with the names of the columns");
    return sed_ecsv_names(r, line);
}

/* ==== the readers ================================================================================================= */

typedef struct sed_sorted {
    bml_ssc_point point;
    int index;
} sed_sorted;

static inline int sed_compare(const void *a, const void *b) {
    const sed_sorted *p = a;
    const sed_sorted *q = b;
    if (p->point.nu != q->point.nu) return p->point.nu < q->point.nu ? -1 : 1;
    return (p->index > q->index) - (p->index < q->index);
}

/* By frequency; points of one frequency stay in the order of the file. */
static inline int sed_sort(sed_table *t, char *err) {
    sed_sorted *s = malloc((size_t)t->n * sizeof *s);
    char(*names)[SED_INSTRUMENT] = malloc((size_t)t->n * sizeof *names);
    if (!s || !names) {
        free(s);
        free(names);
        return error_set(err, "out of memory");
    }
    for (int i = 0; i < t->n; i++) {
        s[i].point = t->point[i];
        s[i].index = i;
    }
    qsort(s, (size_t)t->n, sizeof *s, sed_compare);
    for (int i = 0; i < t->n; i++) {
        t->point[i] = s[i].point;
        memcpy(names[i], t->instrument[s[i].index], SED_INSTRUMENT);
    }
    free(t->instrument);
    free(s);
    t->instrument = names;
    return 0;
}

/* Reads the table from the text r->in, which it closes. */
static inline int sed_read_text(sed_reader *r, sed_table *t, double confidence, char *err) {
    memset(t, 0, sizeof *t);
    t->redshift = (double)NAN;
    r->table = t;
    r->err = err;
    r->confidence = confidence != 0 ? confidence : 0.95;
    for (int i = 0; i < SED_ROLES; i++)
        r->at[i] = -1;
    char *line = text_line(&r->in);
    int bad;
    if (!(r->confidence > 0.5 && r->confidence < 1))
        bad = error_set(err, "confidence level %g is not between 0.5 and 1", confidence);
    else if (line && !strncmp(line, "# %ECSV", 7))
        bad = sed_ecsv(r, line);
    else
        bad = sed_csv(r, line);
    bad = bad || sed_points(r) || sed_sort(t, err);
    text_close(&r->in);
    if (!bad) return 0;
    sed_free(t);
    return -1;
}

/* Reads a file. confidence: level of upper limits where the file states none; 0 means 0.95. Returns 0, or -1 with a
   line in err[ERROR_SIZE] and an empty table. Free the table with sed_free. */
static inline int sed_read(sed_table *t, const char *path, double confidence, char *err) {
    sed_reader r = {0};
    memset(t, 0, sizeof *t);
    return text_open(&r.in, path, err) ? -1 : sed_read_text(&r, t, confidence, err);
}

/* The same from memory; name stands for the file in messages. */
static inline int sed_read_memory(sed_table *t, const void *data, size_t size, const char *name, double confidence,
                                  char *err) {
    sed_reader r = {0};
    memset(t, 0, sizeof *t);
    return text_copy(&r.in, data, size, name, err) ? -1 : sed_read_text(&r, t, confidence, err);
}

/* ==== the picture =================================================================================================
   Data with their errors, an instrument each a colour and a shape; upper limits as arrows; the model as its 50 % and
   90 % bands, the best line, and its components dashed. What is NULL is left out. */

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
        if (!(p->best[i] > f.flux_lo) || p->nu[i] < data_lo * 1e-4 || p->nu[i] > data_hi * 1e4) continue;
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
        if (k < n) continue;
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
        if (!!t->point[i].upper_limit == limits && sed_alike(t, i, like)) return 1;
    return 0;
}

/* A data block of each instrument's detections and one of its limits. */
static inline void sed_draw_data(FILE *f, const sed_table *t, const int *first, int n) {
    for (int k = 0; k < n; k++)
        for (int limits = 0; limits < 2; limits++) {
            fprintf(f, "$%s_%d << EOD\n", limits ? "limits" : "points", k);
            for (int i = 0; i < t->n; i++) {
                const bml_ssc_point *q = &t->point[i];
                if (!!q->upper_limit != limits || !sed_alike(t, i, first[k])) continue;
                if (limits)
                    fprintf(f, "%.7g %.5g\n", q->nu, q->nuFnu);
                else
                    fprintf(f, "%.7g %.5g %.5g %.5g\n", q->nu, q->nuFnu, q->nuFnu * pow(10, -q->sigma_lo),
                            q->nuFnu * pow(10, q->sigma_hi));
            }
            fprintf(f, "EOD\n");
        }
}

/* A tick at every decade from lo to hi, a label at those that step divides. */
static inline void sed_draw_decades(FILE *f, const char *axis, double lo, double hi, int step) {
    int first = (int)ceil(log10(lo));
    int last = (int)floor(log10(hi));
    fprintf(f, "set %stics (", axis);
    for (int d = first; d <= last; d++)
        fprintf(f, d % step ? "%s''%.0d 1e%d 1" : "%s'10^{%d}' 1e%d", d > first ? ", " : "", d % step ? 0 : d, d);
    fprintf(f, ")\n");
}

static inline void sed_draw_axes(FILE *f, const sed_frame *a) {
    double decades = log10(a->nu_hi / a->nu_lo);
    int step = decades > 24 ? 4 : decades > 8 ? 2 : 1;
    fprintf(f, "set logscale xyx2\nset xrange [%.5g:%.5g]\nset yrange [%.5g:%.5g]\nset x2range [%.5g:%.5g]\n", a->nu_lo,
            a->nu_hi, a->flux_lo, a->flux_hi, a->nu_lo * SED_EV, a->nu_hi * SED_EV);
    sed_draw_decades(f, "x", a->nu_lo, a->nu_hi, step);
    sed_draw_decades(f, "x2", a->nu_lo * SED_EV, a->nu_hi * SED_EV, step);
    fprintf(f, "set xtics nomirror\nset format y '10^{%%L}'\n");
    fprintf(f, "set xlabel 'Frequency  {/Symbol n}  [Hz]'\nset x2label 'Energy  [eV]'\n"
               "set ylabel '{/Symbol n} {/:Italic F}_{/Symbol n}  [erg cm^{-2} s^{-1}]'\n");
    fprintf(f, "set tics out scale 1,0.5\nset border lw 1.3\nset grid xtics ytics lc rgb '#e8e8e8' lw 1\n");
    fprintf(f, "set key outside right top vertical Left reverse noenhanced samplen 1.6 spacing 1.15 maxrows 36\n");
    fprintf(f, "set errorbars 0\nset style fill solid noborder\n");
}

static inline void sed_draw_curves(FILE *f, const sed_picture *p) {
    static const char *const colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"};
    if (p->lo90 && p->hi90) fprintf(f, "$model using 1:5:6 with filledcurves lc rgb '#dbe4ec' title '90 %%', \\\n");
    if (p->lo50 && p->hi50) fprintf(f, "$model using 1:3:4 with filledcurves lc rgb '#a9bccd' title '50 %%', \\\n");
    for (int k = 0; k < p->n_components && k < 6; k++) {
        fprintf(f, "$model using 1:%d with lines lw 2.4 dt (12,7) lc rgb '%s' title ", 7 + k, colours[k]);
        plot_text(f, p->component_name[k]);
        fprintf(f, ", \\\n");
    }
    if (p->best) fprintf(f, "$model using 1:2 with lines lw 2.6 lc rgb '#20303c' title 'best', \\\n");
}

static inline void sed_draw_points(FILE *f, const sed_table *t, const int *first, int n) {
    static const int shapes[] = {7, 5, 9, 13, 11, 15};
    int n_colours = (int)(sizeof plot_colours / sizeof *plot_colours);
    for (int k = 0; k < n; k++) {
        const char *name = first[k] < 0 ? "" : t->instrument[first[k]];
        const char *colour = plot_colours[k % n_colours];
        int detections = sed_has(t, first[k], 0);
        if (detections) {
            fprintf(f, "$points_%d using 1:2:3:4 with yerrorbars pt %d ps 1.5 lw 1.8 lc rgb '%s' title ", k,
                    shapes[k % 6], colour);
            plot_text(f, *name ? name : "data");
            fprintf(f, ", \\\n");
        }
        if (!sed_has(t, first[k], 1)) continue;
        fprintf(f,
                "$limits_%d using 1:2:(0):(-0.62*$2) with vectors head filled size screen 0.008,22 lw 1.8 lc rgb '%s' "
                "notitle, \\\n",
                k, colour);
        fprintf(f, "$limits_%d using ($1/1.6):2:(0.975*$1):(0) with vectors nohead lw 1.8 lc rgb '%s' ", k, colour);
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
    sed_frame frame = sed_frame_of(p);
    out_file o;
    if (plot_begin(&o, dir, name, 1700, 1000, n > 20 ? 15 : 18, err)) return -1;
    sed_draw_model(o.f, p);
    sed_draw_data(o.f, p->data, first, n);
    sed_draw_axes(o.f, &frame);
    fprintf(o.f, "set title ");
    plot_text(o.f, p->title ? p->title : p->data->source);
    fprintf(o.f, " noenhanced font ',20'\nplot \\\n");
    sed_draw_curves(o.f, p);
    sed_draw_points(o.f, p->data, first, n);
    fprintf(o.f, "1/0 notitle\n");
    return plot_end(&o, dir, name, err);
}
#endif
