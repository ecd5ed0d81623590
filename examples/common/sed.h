/* sed.h: reads tables of spectral energy distributions as the field writes them.

     #include "common.h"
     #define BML_SSC_IMPLEMENTATION
     #include "bml_ssc.h"
     #include "sed.h"
     sed_table sed;
     sed_options how = {.nu_min = 1e11};                           or NULL: all defaults
     char err[ERROR_SIZE];
     if (sed_read(&sed, "mrk421.csv", &how, err)) fail("%s", err); "mrk421.csv:17: flux '-1e-12' must be positive"
     for (int i = 0; i < sed.n; i++) printf("%g Hz %s\n", sed.point[i].nu, sed.instrument[i]);
     for (int i = 0; i < sed.n_notes; i++) puts(sed.note[i]);      what was dropped, assumed, or looks wrong
     sed_free(&sed);

   It refuses: columns or units it does not know; frequencies or fluxes that are logarithms without saying so, or
   brighter or fainter than any source; zero errors (unless .error_floor says what they are); tables in the source's
   frame (unless .frame says so). It warns in .note: of two redshifts (the last one holds); of errors ten thousand
   times smaller or larger than the others, or that no instrument reaches; of fluxes 250 times above or below those
   beside them; of an instrument's points as far from the rest of the spectrum as no blazar's. It never prints,
   exits, or depends on the locale.

   1. CSV of our own. Comment lines begin with #; `# redshift: 0.557`, `# source: NAME` and `# confidence: 0.95` are
   read. The first other line names the columns, and in each name the unit, its first factor above the fraction line
   and the rest below: nuFnu_erg_cm2_s is nuFnu in erg/(cm2 s). Then a line for each point:

       nu_Hz,nuFnu_erg_cm2_s,err_lo_dex,err_hi_dex,upper_limit,instrument
       8.57e14,5.96e-13,0.04,0.04,0,Swift-UVOT

       nu_U energy_U wavelength_U    one of them: nu_Hz, nu_GHz, energy_keV, energy_TeV, wavelength_nm, ...
       nuFnu_U Fnu_U dnde_U          one of them: nuFnu_erg_cm2_s, nuFnu_MeV_cm2_s, Fnu_mJy, dnde_1_cm2_s_TeV, ...;
                                     in the source's frame nuLnu_U: nuLnu_erg_s
       log10_...                     before any of these: the column holds the logarithm of the number
       err_U, or err_lo_U and err_hi_U   one-sigma errors, U a unit of flux or dex; a table that needs both kinds has
                                     both columns and leaves one of them empty in each line; err alone: unit of the flux
       nu_min_U nu_max_U energy_min_U energy_max_U   optional: the ends of the bin
       upper_limit or is_ul          optional: 1 where the flux is a limit, else 0 or empty. There, err_U or err_hi_U
                                     is the Gaussian sigma of the limit, in a unit of flux; empty or 0: from confidence
       confidence                    optional: one-sided confidence level of the limit, above 0.5, or "2 sigma"
       instrument                    optional: for the key of the picture
       source                        optional: for .source, which takes the lines of one source
       _ANYTHING                     left alone. Any other name is an error, so that typing errors do not pass

   With .columns, a list of such names, any table of blanks, commas, tabs, semicolons or bars is read, its header
   skipped.

   2. ECSV (first line `# %ECSV ...`) as astropy, gammapy, agnpy, JetSeT, naima, VTSCat and gamma-cat write it:
   names, units and delimiter from the YAML header; redshift (z), source, telescope and confidence level (cl,
   UL_CONF; also in the limit's description, "95% CL") from meta. Quantities by the names of the
   gamma-astro-data-formats and those programs: e_ref, or e_min and e_max alone (their geometric mean); e2dnde,
   nuFnu, dnde, flux, y, ... with _err, or _errn and _errp, and _ul; norm with ref_e2dnde or ref_dnde; photon fluxes
   (1/(cm2 s)) and eflux between e_min and e_max with a column `index`, for a power law of that index. Rules of that
   format: where a value is nan and the limit is filled, the limit counts; where both are nan the line is dropped
   and counted; is_ul (ul, UL) chooses. A value of zero or less with an error is taken as the limit max(value, 0) +
   1.645 error, and counted. Columns of other names are left alone.
   3. IPAC tables (\key=value, |names|types|units|nulls|).
   4. SExtractor headers (# 1 energy [TeV]).
   5. Tables of blanks or commas whose names and units stand in the last comment or the first line: "# nu / Hz,
   nuFnu / (erg cm-2 s-1), ...", "#E[eV], flux [TeV cm^-2 s^-1], ...", Bjet_MCMC's "!E(eV) F(ergcm-2s-1) delta_F(-)
   ..." (zero errors mark its limits). A last column without a name that holds words is the instrument.
   6. JetSeT's older "# md z 0.03", "# md col_types x,y,dy".
   7. SSDC's SED builder: its export (blocks under "# Log frequency ... Nufnu ... TStart TStop": frequency, bin,
   nuFnu, error, start, stop, UPPER LIMIT; the catalogue's name in the comment above) and its upload
   (RA|Dec|frequency|error|nuFnu|error|start|stop|UL).
   8. VOU-Blazars and Firmamento: a CSV of frequency [Hz], nuFnu [erg/(cm2 s)], error, MJD of start and end, UL or
   Det, catalogue, reference; lines of the catalogue DEBL are corrected copies of others and are dropped.

   Errors of limits in formats 2 to 8 are not used: these programs give them no meaning, so sigma comes from the
   confidence level. Where nothing states a level the caller's holds, 0.95 by default: the limit is 1.645 sigma
   (naima's own default is 0.90). Points come in any order, duplicates included, and are returned in order of
   frequency. Public domain or MIT, see LICENSE. */
#ifndef SED_H
#define SED_H
#include "common.h"
#include "bml_ssc.h" /* the points; define BML_SSC_IMPLEMENTATION before it in one file of the program */
#include "sed_units.h"

enum { SED_MAX_POINTS = 100000 };
enum { SED_MAX_COLUMNS = 64 };
enum { SED_INSTRUMENT = 32 };
enum { SED_NOTES = 16 };
enum { SED_NOTE = 240 };
enum { SED_FRAME_OBSERVER, SED_FRAME_SOURCE };

/* How to read; NULL or zeros: the defaults. */
typedef struct sed_options {
    double confidence;  /* one-sided, of limits without their own; 0: 0.95 */
    double error_floor; /* [dex] smaller, zero and missing errors become this; 0: none, and zero errors are refused */
    double nu_min;      /* [Hz] points outside are left out; 0: no end */
    double nu_max;
    double redshift;         /* for SED_FRAME_SOURCE; 0: as the table says */
    int frame;               /* SED_FRAME_SOURCE: frequencies, and luminosities if they are, are the source's */
    const char *columns;     /* names of the columns as in format 1, commas between; NULL: as the table says */
    const char *source;      /* take the lines of this source only; NULL: all */
    const char *const *skip; /* [n_skip] instruments to leave out */
    int n_skip;
    int unchecked; /* do not refuse what only looks wrong */
} sed_options;

typedef struct sed_table {
    int n;
    bml_ssc_point *point;               /* [n], nu ascending */
    char (*instrument)[SED_INSTRUMENT]; /* [n], empty where the table names none */
    double (*bin)[2];                   /* [n][2] ends of the energy bin [Hz]; both nu where the table has none */
    double redshift;                    /* NaN if the file has none */
    char source[64];                    /* empty if the file has none */
    int rows;                           /* lines of data */
    int dropped;                        /* of them without a flux and a limit, or without an error */
    int left_out;                       /* by nu_min, nu_max, skip */
    int negative;                       /* fluxes of zero or less, taken as limits */
    int odd_errors;                     /* points whose errors cannot be: see the notes */
    int odd_fluxes;                     /* points far from those beside them: see the notes */
    int n_notes;
    char note[SED_NOTES][SED_NOTE]; /* what a user must know, a sentence each */
} sed_table;

static inline void sed_free(sed_table *t) {
    free(t->point);
    free(t->instrument);
    free(t->bin);
    t->point = NULL;
    t->instrument = NULL;
    t->bin = NULL;
    t->n = 0;
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
    SED_NU_MIN,
    SED_NU_MAX,
    SED_WIDTH,
    SED_WIDTH_LO,
    SED_WIDTH_HI,
    SED_UPPER,
    SED_CONFIDENCE,
    SED_NAME,
    SED_SOURCE,
    SED_INDEX,
    SED_REFERENCE,
    SED_ROLES
};

typedef struct sed_column {
    char name[64];
    char unit_text[64];
    char about[128]; /* its description */
    sed_unit unit;
    int log10;
} sed_column;

/* How a flux becomes nuFnu: multiplied by nu^a E^b lambda^c, as its dimension tells. */
static const struct sed_flux_kind {
    int energy; /* of its unit */
    int length;
    int time;
    int nu; /* powers */
    int photon_energy;
    int wavelength;
    int luminosity;   /* of the source's frame */
    int integral;     /* 1: photons, 2: energy, over the bin */
    const char *name; /* what a unit of this kind has before it in our own CSV */
} sed_fluxes[] = {
    {1, -2, -1, 0, 0, 0, 0, 0, "nuFnu"}, /* nu F_nu, E^2 dN/dE */
    {1, -2, 0, 1, 0, 0, 0, 0, "Fnu"},    /* F_nu */
    {-1, -2, -1, 0, 2, 0, 0, 0, "dnde"}, /* dN/dE */
    {1, -3, -1, 0, 0, 1, 0, 0, "dnde"},  /* F_lambda */
    {1, 0, -1, 0, 0, 0, 1, 0, "nuLnu"},  /* nu L_nu */
    {1, 0, 0, 1, 0, 0, 1, 0, "Lnu"},     /* no name of ours: refused there, like the next */
    {0, -2, -1, 0, 0, 0, 0, 1, "dn"},    /* photons between e_min and e_max */
    {1, -2, -1, 0, 0, 0, 0, 2, "eflux"}, /* energy between e_min and e_max: by its name */
};
enum { SED_FLUX_KINDS = sizeof sed_fluxes / sizeof *sed_fluxes };
enum { SED_EFLUX = SED_FLUX_KINDS - 1 };

/* One table while it is read. */
typedef struct sed_reader {
    text_file in;
    char *pending; /* a line that was looked at and comes again */
    char *err;
    const sed_options *how;
    sed_table *table;
    int strict;      /* our own CSV: everything must be there */
    int scale_log10; /* JetSeT's log-log tables */
    int zero_limits; /* Bjet's tables: zero errors mark limits */
    int spare;       /* fields beyond the named ones are allowed */
    int n_columns;
    char separator;               /* ' ' any blanks, or a character; '|' within bars */
    int bar[SED_MAX_COLUMNS + 1]; /* where an IPAC table's bars stand */
    int n_bars;                   /* 0: it is none */
    char null_word[16];           /* what stands for no value, beside nan */
    sed_column column[SED_MAX_COLUMNS];
    int at[SED_ROLES];   /* column of each role, or -1 */
    int flux_kind;       /* row of sed_fluxes */
    int luminosity_seen; /* restframe of the file is the source's */
    double confidence;
    double redshift;                /* of the frame */
    double other_redshift;          /* one that the table names before its last; 0: there is none */
    char telescope[SED_INSTRUMENT]; /* of all points, where no column names it */
    char family[16];                /* the flux's name, for foreign tables */
    int room;
    int raised; /* counts for the notes */
    int unerring;
    int skipped_copies;
    char skip_met[64]; /* which of how->skip were met */
} sed_reader;

/* What is wrong in a line; returns -1. */
COMMON_PRINTF(3, 4) static inline int sed_refuse(sed_reader *r, long line, const char *fmt, ...) {
    va_list ap;
    const int n = snprintf(r->err, ERROR_SIZE, "%.300s:%ld: ", r->in.name, line);
    va_start(ap, fmt);
    vsnprintf(r->err + n, (size_t)(ERROR_SIZE - n), fmt, ap);
    va_end(ap);
    return -1;
}

/* In the present one. */
#define SED_REFUSE(r, ...) sed_refuse(r, (r)->in.line, __VA_ARGS__)

/* What is wrong with the whole table. */
COMMON_PRINTF(2, 3) static inline int sed_refuse_all(sed_reader *r, const char *fmt, ...) {
    va_list ap;
    const int n = snprintf(r->err, ERROR_SIZE, "%.300s: ", r->in.name);
    va_start(ap, fmt);
    vsnprintf(r->err + n, (size_t)(ERROR_SIZE - n), fmt, ap);
    va_end(ap);
    return -1;
}

static inline int sed_no_memory(sed_reader *r) {
    return sed_refuse_all(r, "out of memory");
}

static inline int sed_has_role(const sed_reader *r, int role) {
    return r->at[role] >= 0;
}

static inline sed_column *sed_column_of(sed_reader *r, int role) {
    return &r->column[r->at[role]];
}

COMMON_PRINTF(2, 3) static inline void sed_note(sed_table *t, const char *fmt, ...) {
    if (t->n_notes == SED_NOTES) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->note[t->n_notes++], SED_NOTE, fmt, ap);
    va_end(ap);
}

static inline int sed_begins(const char *s, const char *start) {
    return !strncmp(s, start, strlen(start));
}

/* Copies s, shortened to whole UTF-8 characters. */
static inline void sed_copy(char *to, size_t size, const char *s) {
    size_t n = strlen(s);
    if (n >= size) {
        n = size - 1;
        while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
            n--;
    }
    memmove(to, s, n);
    to[n] = 0;
}
#define SED_COPY(array, s) sed_copy(array, sizeof(array), s)

/* The next line that holds something; comments too. */
static inline char *sed_line(sed_reader *r) {
    char *line = r->pending;
    r->pending = NULL;
    while (!line) {
        line = text_line(&r->in);
        if (!line) {
            return NULL;
        }
        if (!*sed_skip(line)) {
            line = NULL;
        }
    }
    return line;
}

static inline int sed_unit_at(sed_reader *r, sed_column *c, long line) {
    char wrong[64];
    if (!*trim(c->unit_text)) {
        return sed_refuse(r, line, "column '%s' has no unit", c->name);
    }
    if (sed_unit_read(&c->unit, trim(c->unit_text), wrong, sizeof wrong)) {
        return sed_refuse(r, line, "column '%s': unknown unit '%s'", c->name, wrong);
    }
    return 0;
}

static inline int sed_same_kind(const sed_unit *a, const sed_unit *b) {
    if (a->energy != b->energy) {
        return 0;
    }
    if (a->length != b->length) {
        return 0;
    }
    return a->time == b->time;
}

/* The row of sed_fluxes for a unit, or -1. */
static inline int sed_flux_kind_of(const sed_unit *u) {
    for (int kind = 0; kind < SED_FLUX_KINDS; kind++) {
        const struct sed_flux_kind *k = &sed_fluxes[kind];
        if (k->energy != u->energy) {
            continue;
        }
        if (k->length != u->length) {
            continue;
        }
        if (k->time != u->time) {
            continue;
        }
        return u->dex ? -1 : kind;
    }
    return -1;
}

/* Whether a unit is one of frequency, energy or wavelength. */
static inline int sed_is_place(const sed_unit *u) {
    const int sum = abs(u->energy) + abs(u->length) + abs(u->time);
    if (u->dex || sum != 1) {
        return 0;
    }
    return u->energy == 1 || u->length == 1 || u->time == -1;
}

/* What is wrong with the unit of a role: what it should be a unit of; NULL: nothing. */
static inline const char *sed_unit_wanted(sed_reader *r, int role, const sed_unit *u) {
    if (role == SED_NU || (role >= SED_NU_MIN && role <= SED_WIDTH_HI)) {
        return sed_is_place(u) ? NULL : "frequency, energy or wavelength";
    }
    if (role == SED_FLUX && sed_has_role(r, SED_REFERENCE)) {
        return NULL;
    }
    if (role == SED_FLUX || role == SED_REFERENCE) {
        r->flux_kind = sed_flux_kind_of(u);
        if (r->flux_kind == 0 && !strcmp(r->family, "eflux")) {
            r->flux_kind = SED_EFLUX;
        }
        return r->flux_kind < 0 ? "flux" : NULL;
    }
    if (u->dex) {
        return role < SED_ERR ? "flux" : NULL;
    }
    const sed_column *points = sed_column_of(r, sed_has_role(r, SED_FLUX) ? SED_FLUX : role);
    return sed_same_kind(u, &points->unit) ? NULL : "flux like that of the points";
}

/* Errors in dex take the role three further on. */
static inline void sed_role_dex(sed_reader *r, int role) {
    if (role < SED_ERR || role > SED_HI) {
        return;
    }
    r->at[role + 3] = r->at[role];
    r->at[role] = -1;
}

/* Reads the unit of a column in use; errors, limits and ends of bins without one have that of what they belong to. */
static inline int sed_unit_of_role(sed_reader *r, int role, long line) {
    sed_column *c = sed_column_of(r, role);
    const int like = role >= SED_NU_MIN && role <= SED_WIDTH_HI ? SED_NU : SED_FLUX;
    if (r->strict) {
        return 0; /* read with the name */
    }
    if (sed_has_role(r, SED_REFERENCE) && role != SED_REFERENCE && like == SED_FLUX && role != SED_NU) {
        c->unit.factor = 1;
        return 0;
    }
    const int has_own = *trim(c->unit_text) || role == SED_NU || role == SED_FLUX;
    if (!has_own && sed_has_role(r, like)) {
        const sed_column *other = sed_column_of(r, like);
        const int is_error = role >= SED_ERR && role <= SED_HI;
        c->unit = other->unit;
        if (other->log10 && is_error) {
            c->unit.dex = 1;
        }
        return 0;
    }
    return sed_unit_at(r, c, line);
}

/* The units of the columns in use must suit their roles. */
static inline int sed_check_units(sed_reader *r, long line) {
    static const int order[] = {SED_NU,     SED_REFERENCE, SED_FLUX,    SED_LIMIT,    SED_ERR,
                                SED_LO,     SED_HI,        SED_ERR_DEX, SED_LO_DEX,   SED_HI_DEX,
                                SED_NU_MIN, SED_NU_MAX,    SED_WIDTH,   SED_WIDTH_LO, SED_WIDTH_HI};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const int role = order[i];
        if (!sed_has_role(r, role)) {
            continue;
        }
        sed_column *c = sed_column_of(r, role);
        if (sed_unit_of_role(r, role, line)) {
            return -1;
        }
        const char *wanted = sed_unit_wanted(r, role, &c->unit);
        if (wanted) {
            return sed_refuse(r, line, "column '%s': '%s' is no unit of %s", c->name, c->unit_text, wanted);
        }
        if (r->scale_log10 && role <= SED_LIMIT) {
            c->log10 = 1;
        }
        if (c->unit.dex || r->scale_log10) {
            sed_role_dex(r, role);
        }
    }
    return 0;
}

/* What every table must have. */
static inline int sed_check_columns(sed_reader *r, long line) {
    const int *at = r->at;
    const char *missing = NULL;
    const int errors = at[SED_ERR] >= 0 || at[SED_ERR_DEX] >= 0;
    const int lower = at[SED_LO] >= 0 || at[SED_LO_DEX] >= 0;
    const int upper = at[SED_HI] >= 0 || at[SED_HI_DEX] >= 0;
    const int ends = at[SED_NU_MIN] >= 0 && at[SED_NU_MAX] >= 0;
    const int needless = at[SED_LIMIT] >= 0 || r->how->error_floor > 0;
    if (at[SED_NU] < 0 && !ends) {
        missing = r->strict ? "nu_... or energy_..." : "energy or frequency (e_ref, energy, nu, x)";
    } else if (at[SED_FLUX] < 0 && at[SED_LIMIT] < 0) {
        missing = r->strict ? "nuFnu_..." : "flux (e2dnde, flux, dnde, y)";
    } else if (!errors && !lower && !upper && !needless) {
        missing = r->strict ? "err_... or err_lo_..." : "errors (e2dnde_err, flux_error, dy)";
    } else if (lower && !upper && !errors) {
        missing = r->strict ? "err_hi_..." : "upper errors";
    } else if (upper && !lower && !errors) {
        missing = r->strict ? "err_lo_..." : "lower errors";
    }
    if (!missing) {
        return 0;
    }
    return sed_refuse(r, line, "no column %s", missing);
}

/* ==== one point =================================================================================================== */

static const double SED_PLANCK = 6.62607015e-27; /* [erg s] */
static const double SED_EV = 4.135667696e-15;    /* [eV s] */
static const double SED_LIGHT = 2.99792458e10;   /* [cm/s] */

/* A line's cells by role; a role without a column has an empty cell. */
typedef struct sed_row {
    char *cell[SED_ROLES];
    bml_ssc_point point;
    double bin[2];
    double factor; /* from the flux's unit to nuFnu */
} sed_row;

enum { SED_DROP = 1 }; /* beside 0 and -1: this line gives no point */

/* Whether a cell says that there is no number. */
static inline int sed_is_missing(const sed_reader *r, const char *cell) {
    static const char *const words[] = {"", "nan", "null", "none", "--", "-", "...", "masked", "n/a", "-nan"};
    if (r->strict) {
        return !*cell;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcasecmp(cell, words[i])) {
            return 1;
        }
    return r->null_word[0] && !strcasecmp(cell, r->null_word);
}

/* Whether a line has a value of this role. */
static inline int sed_gives(const sed_reader *r, const sed_row *row, int role) {
    return !sed_is_missing(r, row->cell[role]);
}

static inline int sed_wrong(sed_reader *r, const char *what, const char *cell, const char *wrong) {
    return SED_REFUSE(r, "%s '%.40s' %s", what, cell, wrong);
}

/* The number in a cell, above zero (or, if zero_too, zero). */
static inline int sed_number(sed_reader *r, double *value, const char *cell, const char *what, int zero_too) {
    const char *wrong = read_real(value, cell);
    if (wrong) {
        return sed_wrong(r, what, cell, wrong);
    }
    if (*value > 0 || (zero_too && *value == 0)) {
        return 0;
    }
    return sed_wrong(r, what, cell, zero_too ? "must be zero or more" : "must be positive");
}

/* The same in a column that may hold logarithms; the result in cgs. */
static inline int sed_quantity(sed_reader *r, double *value, const char *cell, int role, const char *what) {
    const sed_column *c = sed_column_of(r, role);
    if (c->log10) {
        const char *wrong = read_real(value, cell);
        if (wrong) {
            return sed_wrong(r, what, cell, wrong);
        }
        *value = pow(10.0, *value);
    } else if (sed_number(r, value, cell, what, 0)) {
        return -1;
    }
    *value *= c->unit.factor;
    if (isfinite(*value) && *value > 0) {
        return 0;
    }
    return sed_wrong(r, what, cell, "is out of range");
}

/* Frequency [Hz] at the observer from the cell of a role in a unit of frequency, energy or wavelength. */
static inline int sed_frequency(sed_reader *r, double *nu, const char *cell, int role) {
    const sed_unit *u = &sed_column_of(r, role)->unit;
    if (sed_quantity(r, nu, cell, role, "frequency or energy")) {
        return -1;
    }
    if (u->energy) {
        *nu /= SED_PLANCK;
    }
    if (u->length) {
        *nu = SED_LIGHT / *nu;
    }
    if (r->how->frame == SED_FRAME_SOURCE) {
        *nu /= 1 + r->redshift;
    }
    if (isfinite(*nu) && *nu > 0) {
        return 0;
    }
    return sed_wrong(r, "frequency or energy", cell, "is out of range");
}

/* One end of the bin: from its own column, or the point's place in the column's own unit less or plus a width. */
static inline int sed_bin_end(sed_reader *r, double *end, sed_row *row, int upper) {
    const int own = upper ? SED_NU_MAX : SED_NU_MIN;
    const int side = upper ? SED_WIDTH_HI : SED_WIDTH_LO;
    const int width = !sed_gives(r, row, side) ? SED_WIDTH : side;
    double w;
    if (sed_gives(r, row, own)) {
        return sed_frequency(r, end, row->cell[own], own);
    }
    if (!sed_gives(r, row, width) || !sed_has_role(r, SED_NU)) {
        return 0;
    }
    const sed_column *place = sed_column_of(r, SED_NU);
    double x;
    const char *wrong = read_real(&w, row->cell[width]);
    if (!wrong) {
        wrong = read_real(&x, row->cell[SED_NU]);
    }
    if (wrong) {
        return sed_wrong(r, "width of the bin", row->cell[width], wrong);
    }
    if (place->log10) {
        *end = row->point.nu * pow(10, upper ? w : -w);
    } else {
        const double widths = w * sed_column_of(r, width)->unit.factor;
        const double shift = widths / (x * place->unit.factor);
        const double most = upper ? 1e6 : 1;
        const double stretch = upper ? 1 + shift : 1 - shift;
        if (shift > -1 && shift < most) {
            *end = row->point.nu * stretch;
        }
    }
    return 0;
}

/* Where the point lies: its frequency and its bin. */
static inline int sed_place(sed_reader *r, sed_row *row) {
    double *nu = &row->point.nu;
    const int known = sed_gives(r, row, SED_NU);
    const int ends = sed_gives(r, row, SED_NU_MIN) && sed_gives(r, row, SED_NU_MAX);
    if (!known && !ends) {
        if (r->strict || !sed_has_role(r, SED_NU_MIN)) {
            return sed_wrong(r, "frequency or energy", row->cell[SED_NU], "is empty");
        }
        return SED_DROP;
    }
    if (known && sed_frequency(r, nu, row->cell[SED_NU], SED_NU)) {
        return -1;
    }
    row->bin[0] = row->bin[1] = *nu;
    if (sed_bin_end(r, &row->bin[0], row, 0)) {
        return -1;
    }
    if (sed_bin_end(r, &row->bin[1], row, 1)) {
        return -1;
    }
    if (!known) {
        *nu = sqrt(row->bin[0] * row->bin[1]);
    }
    if (row->bin[0] > row->bin[1]) { /* wavelengths */
        const double swap = row->bin[0];
        row->bin[0] = row->bin[1];
        row->bin[1] = swap;
    }
    return 0;
}

/* nuFnu at nu of a power law with photon index gamma that has one photon (kind 1) or one erg (2) per cm2 s in the bin.
   */
static inline double sed_integral_factor(const sed_row *row, int kind, double gamma) {
    const double power = kind - gamma; /* of E in the integral, less its own 1/E */
    const double nu = row->point.nu;
    const double energy = kind == 1 ? SED_PLANCK * nu : 1;
    const double lo = row->bin[0] / nu;
    const double hi = row->bin[1] / nu;
    if (fabs(power) < 1e-6) {
        return energy / log(hi / lo);
    }
    const double integral = (pow(hi, power) - pow(lo, power)) / power;
    return energy / integral;
}

/* Factor from the flux at the point, in cgs, to nuFnu. */
static inline int sed_flux_factor(sed_reader *r, sed_row *row) {
    const struct sed_flux_kind *k = &sed_fluxes[r->flux_kind];
    const double nu = row->point.nu;
    double gamma;
    const double energy = SED_PLANCK * nu;
    const double wavelength = SED_LIGHT / nu;
    row->factor = pow(nu, k->nu) * pow(energy, k->photon_energy) * pow(wavelength, k->wavelength);
    if (k->luminosity) {
        const double distance = bml_ssc_luminosity_distance(r->redshift, 70, 0.3);
        const double area = 4 * 3.14159265358979324 * distance * distance;
        row->factor *= pow(1 + r->redshift, k->nu) / area;
    }
    if (k->integral) {
        const int no_bin = !(row->bin[1] > row->bin[0]);
        if (no_bin || !sed_gives(r, row, SED_INDEX)) {
            return sed_refuse(r, r->in.line,
                              "an integral flux needs the ends of its bin and a column 'index' of its power law");
        }
        const char *wrong = read_real(&gamma, row->cell[SED_INDEX]);
        if (wrong) {
            return sed_wrong(r, "index", row->cell[SED_INDEX], wrong);
        }
        row->factor = sed_integral_factor(row, k->integral, fabs(gamma));
    }
    if (sed_has_role(r, SED_REFERENCE)) {
        double reference = 0;
        if (sed_number(r, &reference, row->cell[SED_REFERENCE], "reference flux", 0)) {
            return -1;
        }
        row->factor *= reference * sed_column_of(r, SED_REFERENCE)->unit.factor;
    }
    return 0;
}

/* One or zero from 1, 0, True, False, UL, empty; -1 from anything else. */
static inline int sed_truth(const char *cell) {
    static const char *const words[] = {"",    "0",    "0.0", "false", "no", "f",  "n",           "det", "1",
                                        "1.0", "true", "yes", "t",     "y",  "ul", "upper limit", "u",   "<"};
    for (int i = 0; i < (int)(sizeof words / sizeof *words); i++)
        if (!strcasecmp(cell, words[i])) {
            return i > 7;
        }
    return -1;
}

/* z with Phi(z) = confidence, for confidence above 0.5: how many sigma a one-sided limit is. */
static inline double sed_sigmas(double confidence) {
    double lo = 0;
    double hi = 10;
    for (int i = 0; i < 60; i++) {
        double z = 0.5 * (lo + hi);
        if (0.5 * erfc(z / sqrt(2.0)) > 1 - confidence) {
            lo = z;
        } else {
            hi = z;
        }
    }
    return 0.5 * (lo + hi);
}

/* A level as 0.95, "95 %" or "2 sigma", one-sided; what is no confidence level of a limit is refused. */
static inline int sed_confidence(sed_reader *r, double *level, const char *cell, long line) {
    const size_t n = real_prefix(level, cell);
    const char *rest = sed_skip(cell + n);
    if (*rest == '-') {
        rest = sed_skip(rest + 1);
    }
    const char *wrong = NULL;
    if (n == 0 || !isfinite(*level)) {
        wrong = read_real(level, cell);
    }
    if (!wrong && *rest == '%') {
        *level /= 100;
    } else if (!wrong && (!strncasecmp(rest, "sigma", 5) || !strcmp(rest, "\xcf\x83"))) {
        *level = 1 - 0.5 * erfc(*level / sqrt(2.0));
    } else if (!wrong && *rest) {
        wrong = "is not a number";
    }
    if (!wrong && !(*level > 0.5 && *level < 1)) {
        wrong = "is not between 0.5 and 1";
    }
    return wrong ? sed_refuse(r, line, "confidence level '%.40s' %s", cell, wrong) : 0;
}

/* The sigma of an upper limit: in our own CSV its own if the table gives one, else from the confidence level. */
static inline int sed_limit(sed_reader *r, sed_row *row) {
    bml_ssc_point *p = &row->point;
    char *const *cell = row->cell;
    const int role = *cell[SED_HI] ? SED_HI : SED_ERR;
    double level = r->confidence;
    double sigma = 0;
    double dex = 0;
    if (r->strict) {
        const char *other = *cell[SED_HI_DEX] ? cell[SED_HI_DEX] : cell[SED_ERR_DEX];
        if (*other && (read_real(&dex, other) || dex != 0)) {
            return sed_refuse(
                r, r->in.line,
                "the error of an upper limit is its sigma in a unit of flux, not in dex; or leave it empty");
        }
        if (*cell[role]) {
            if (sed_number(r, &sigma, cell[role], "sigma of the limit", 1)) {
                return -1;
            }
            sigma *= sed_column_of(r, role)->unit.factor * row->factor;
        }
    }
    if (sed_gives(r, row, SED_CONFIDENCE)) {
        if (sed_confidence(r, &level, cell[SED_CONFIDENCE], r->in.line)) {
            return -1;
        }
    }
    p->upper_limit = 1;
    p->sigma_lo = 0;
    p->sigma_hi = sigma > 0 ? sigma : p->nuFnu / sed_sigmas(level);
    if (isfinite(p->sigma_hi) && p->sigma_hi > 0) {
        return 0;
    }
    return SED_REFUSE(r, "sigma of the limit is out of range");
}

/* Whether a cell gives an error: in other programs' tables one below zero, -1, stands for none. */
static inline int sed_gives_error(const sed_reader *r, const char *cell) {
    double e;
    if (sed_is_missing(r, cell)) {
        return 0;
    }
    return r->strict || read_real(&e, cell) || e >= 0;
}

/* The cell that gives one side's error: its own, else the common one; the role three further on holds dex. -1: none. */
static inline int sed_error_role(const sed_reader *r, const sed_row *row, int side) {
    const int roles[4] = {side, side + 3, SED_ERR, SED_ERR_DEX};
    for (int i = 0; i < 4; i++)
        if (sed_gives_error(r, row->cell[roles[i]])) {
            return roles[i];
        }
    return -1;
}

/* One side's error of a detection, in dex. side: SED_LO or SED_HI. */
static inline int sed_error(sed_reader *r, double *dex, const sed_row *row, int side) {
    const char *what = side == SED_LO ? "lower error" : "upper error";
    const int role = sed_error_role(r, row, side);
    const double floor_dex = r->how->error_floor;
    bml_ssc_point q = row->point;
    double e = 0;
    *dex = floor_dex;
    if (role < 0) {
        r->raised += side == SED_HI;
        return floor_dex > 0 ? 0 : SED_REFUSE(r, "%s is missing", what);
    }
    const int own = role == side || role == side + 3 ? side : SED_ERR;
    if (sed_gives(r, row, own) && !sed_is_missing(r, row->cell[own + 3])) {
        return SED_REFUSE(r, "%s given both in dex and in a unit of flux", what);
    }
    if (sed_number(r, &e, row->cell[role], what, floor_dex > 0)) {
        if (e == 0 && strlen(r->err) + 64 < ERROR_SIZE) {
            strcat(r->err, " (an error floor, --error-floor, gives such points one)");
        }
        return -1;
    }
    if (role >= SED_ERR_DEX) {
        *dex = e;
    } else {
        e *= sed_column_of(r, role)->unit.factor * row->factor;
        bml_ssc_point_errors(&q, e, e);
        *dex = side == SED_LO ? q.sigma_lo : q.sigma_hi;
    }
    if (!(*dex >= floor_dex)) {
        *dex = floor_dex;
        r->raised += side == SED_HI;
    }
    if (isfinite(*dex) && *dex > 0) {
        return 0;
    }
    return sed_wrong(r, what, row->cell[role], "is out of range");
}

/* Both sides' errors of a detection; sets the point's. */
static inline int sed_both_errors(sed_reader *r, sed_row *row) {
    if (sed_error(r, &row->point.sigma_lo, row, SED_LO)) {
        return -1;
    }
    return sed_error(r, &row->point.sigma_hi, row, SED_HI);
}

/* The flux in a cell as nuFnu; sets the point's. */
static inline int sed_amount(sed_reader *r, sed_row *row, int role) {
    char *cell = row->cell[role];
    if (sed_quantity(r, &row->point.nuFnu, cell, role, "flux")) {
        return -1;
    }
    row->point.nuFnu *= row->factor;
    if (isfinite(row->point.nuFnu) && row->point.nuFnu > 0) {
        return 0;
    }
    return sed_wrong(r, "flux", cell, "is out of range");
}

/* A limit, whose flux stands in the cell of a role. */
static inline int sed_limit_from(sed_reader *r, sed_row *row, int role) {
    if (sed_amount(r, row, role)) {
        return -1;
    }
    return sed_limit(r, row);
}

/* Our own CSV: what a line says must be right. */
static inline int sed_point_strict(sed_reader *r, sed_row *row) {
    int limit = sed_truth(row->cell[SED_UPPER]);
    if (limit < 0) {
        return sed_wrong(r, "upper limit", row->cell[SED_UPPER], "is neither 0 nor 1");
    }
    if (*row->cell[SED_FLUX] == '<') { /* "<1e-12" */
        row->cell[SED_FLUX]++;
        limit = 1;
    }
    const char *flux = row->cell[SED_FLUX];
    const int empty = sed_is_missing(r, flux) || !strcasecmp(flux, "nan");
    if (limit && empty) {
        return SED_DROP; /* a limit without a value */
    }
    if (sed_amount(r, row, SED_FLUX)) {
        return -1;
    }
    if (limit) {
        return sed_limit(r, row);
    }
    return sed_both_errors(r, row);
}

/* A measured flux of zero or less: the limit that a Gaussian of its error leaves. */
static inline int sed_negative(sed_reader *r, sed_row *row, double value) {
    const int role = sed_error_role(r, row, SED_HI);
    double error = 0;
    if (role < 0 || role >= SED_ERR_DEX) {
        return SED_DROP;
    }
    if (read_real(&error, row->cell[role]) || !(error > 0)) {
        return SED_DROP;
    }
    const double sigma = error * sed_column_of(r, role)->unit.factor * row->factor;
    bml_ssc_point *p = &row->point;
    (void)value; /* at most 0: adds nothing to the limit */
    p->upper_limit = 1;
    p->sigma_lo = 0;
    p->sigma_hi = sigma;
    p->nuFnu = sigma * sed_sigmas(r->confidence);
    r->table->negative++;
    if (isfinite(p->nuFnu) && p->nuFnu > 0) {
        return 0;
    }
    return sed_wrong(r, "error", row->cell[role], "is out of range");
}

/* Whether the cells give both errors, above zero or at all. */
static inline int sed_has_errors(sed_reader *r, const sed_row *row) {
    return sed_error_role(r, row, SED_LO) >= 0 && sed_error_role(r, row, SED_HI) >= 0;
}

static inline int sed_is_zero(const char *cell) {
    double e;
    return !read_real(&e, cell) && e == 0;
}

/* Whether a line of other programs' tables is a limit: 1, 0; -1 with a message. */
static inline int sed_is_limit(sed_reader *r, sed_row *row) {
    const char *flag = row->cell[SED_UPPER];
    const int filled = sed_gives(r, row, SED_LIMIT);
    const int flux = sed_gives(r, row, SED_FLUX);
    const int said = sed_is_missing(r, flag) ? 0 : sed_truth(flag);
    if (said < 0) {
        return sed_wrong(r, "upper limit", flag, "is neither 0 nor 1");
    }
    if (said || (filled && (!flux || !sed_has_errors(r, row)))) {
        return 1;
    }
    if (!r->zero_limits || !flux) {
        return 0;
    }
    const int role = sed_error_role(r, row, SED_HI);
    return role >= 0 && sed_is_zero(row->cell[role]);
}

/* Tables of other programs: nan is no value; a filled limit stands in. */
static inline int sed_point_lenient(sed_reader *r, sed_row *row) {
    const int log10_flux = sed_has_role(r, SED_FLUX) && sed_column_of(r, SED_FLUX)->log10;
    double value;
    if (*row->cell[SED_FLUX] == '<') { /* "<1e-12" */
        row->cell[SED_FLUX]++;
        return sed_limit_from(r, row, SED_FLUX);
    }
    const int limit = sed_is_limit(r, row);
    const int flux = sed_gives(r, row, SED_FLUX);
    const int filled = sed_gives(r, row, SED_LIMIT);
    if (limit < 0) {
        return -1;
    }
    if (limit && !filled && !flux) {
        return SED_DROP;
    }
    if (limit) {
        return sed_limit_from(r, row, filled ? SED_LIMIT : SED_FLUX);
    }
    if (!flux) {
        return SED_DROP;
    }
    const char *wrong = read_real(&value, row->cell[SED_FLUX]);
    if (wrong) {
        return sed_wrong(r, "flux", row->cell[SED_FLUX], wrong);
    }
    if (!(value > 0) && !log10_flux) {
        if (filled) {
            return sed_limit_from(r, row, SED_LIMIT);
        }
        return sed_negative(r, row, value);
    }
    if (sed_amount(r, row, SED_FLUX)) {
        return -1;
    }
    if (!sed_has_errors(r, row) && !(r->how->error_floor > 0)) {
        r->unerring++;
        return SED_DROP;
    }
    return sed_both_errors(r, row);
}

/* ==== lines ======================================================================================================= */

static inline int sed_grow(sed_reader *r) {
    sed_table *t = r->table;
    const int room = r->room ? 2 * r->room : 64;
    if (t->n == SED_MAX_POINTS) {
        return SED_REFUSE(r, "more than %d points", SED_MAX_POINTS);
    }
    if (t->n < r->room) {
        return 0;
    }
    bml_ssc_point *point = realloc(t->point, (size_t)room * sizeof *point);
    if (point) {
        t->point = point;
    }
    char(*names)[SED_INSTRUMENT] = realloc(t->instrument, (size_t)room * sizeof *names);
    if (names) {
        t->instrument = names;
    }
    double(*bin)[2] = realloc(t->bin, (size_t)room * sizeof *bin);
    if (bin) {
        t->bin = bin;
    }
    if (!point || !names || !bin) {
        return sed_no_memory(r);
    }
    r->room = room;
    return 0;
}

/* Whether the options leave a point out. */
static inline int sed_left_out(sed_reader *r, const sed_row *row, const char *instrument) {
    const sed_options *how = r->how;
    const double nu = row->point.nu;
    for (int i = 0; i < how->n_skip; i++) {
        if (strcasecmp(how->skip[i], instrument)) {
            continue;
        }
        if (i < (int)sizeof r->skip_met) {
            r->skip_met[i] = 1;
        }
        return 1;
    }
    if (how->nu_min > 0 && nu < how->nu_min) {
        return 1;
    }
    return how->nu_max > 0 && nu > how->nu_max;
}

static inline int sed_add(sed_reader *r, const sed_row *row, const char *instrument) {
    sed_table *t = r->table;
    if (sed_left_out(r, row, instrument)) {
        t->left_out++;
        return 0;
    }
    if (sed_grow(r)) {
        return -1;
    }
    t->point[t->n] = row->point;
    memcpy(t->bin[t->n], row->bin, sizeof row->bin);
    sed_copy(t->instrument[t->n++], SED_INSTRUMENT, instrument);
    return 0;
}

/* Cuts an IPAC line at the bars of its header; 0 where text crosses a bar. */
static inline int sed_split_bars(const sed_reader *r, char **field, char *line) {
    const int length = (int)strlen(line);
    for (int k = 0; k <= r->n_columns; k++) {
        const int at = r->bar[k];
        if (at < length && !is_space(line[at]) && line[at] != '|') {
            return 0;
        }
    }
    for (int k = 0; k < r->n_columns; k++) {
        const int first = r->bar[k] + 1;
        const int end = r->bar[k + 1];
        if (end < length) {
            line[end] = 0;
        }
        field[k] = line + length;
        if (first <= length) {
            field[k] = trim(line + first);
        }
    }
    return r->n_columns;
}

static inline int sed_split(const sed_reader *r, char **field, char *line) {
    if (r->n_bars) {
        const int n = sed_split_bars(r, field, line);
        if (n) {
            return n;
        }
    }
    return split(field, SED_MAX_COLUMNS, line, r->n_bars ? ' ' : r->separator);
}

/* Whether a cell for a name holds none: JetSeT writes 0.0 or -1 there. */
static inline int sed_nameless(const char *cell) {
    double number;
    if (!*cell || !strcmp(cell, "-") || !strcmp(cell, "--")) {
        return 1;
    }
    return !read_real(&number, cell) && number <= 0;
}

/* The cells of a line by role, and the name of the instrument. */
static inline int sed_cells(sed_reader *r, sed_row *row, char *line, const char **instrument) {
    static char none[1] = "";
    char *field[SED_MAX_COLUMNS];
    const int n = sed_split(r, field, line);
    const int spare = r->spare && n > r->n_columns && n <= SED_MAX_COLUMNS;
    if (n < 0) {
        return SED_REFUSE(r, "a quote is not closed");
    }
    if (n != r->n_columns && !spare) {
        return SED_REFUSE(r, "%s%d fields where the header names %d columns", n > SED_MAX_COLUMNS ? "more than " : "",
                          n > SED_MAX_COLUMNS ? SED_MAX_COLUMNS : n, r->n_columns);
    }
    memset(row, 0, sizeof *row);
    for (int role = 0; role < SED_ROLES; role++)
        row->cell[role] = sed_has_role(r, role) ? trim(field[r->at[role]]) : none;
    for (int k = r->n_columns; spare && k < n; k++) {
        static char limit[] = "1";
        if (!strcasecmp(field[k], "upper")) {
            row->cell[SED_UPPER] = limit; /* SSDC's "UPPER LIMIT" */
        }
    }
    double number;
    *instrument = sed_nameless(row->cell[SED_NAME]) ? r->telescope : row->cell[SED_NAME];
    const int nameless = !sed_has_role(r, SED_NAME) && !*r->telescope;
    if (spare && r->spare == 1 && nameless) {
        char *beyond = field[r->n_columns];
        if (read_real(&number, beyond)) {
            *instrument = trim(beyond);
        }
    }
    return 0;
}

/* One line of data: a point, or none. */
static inline int sed_read_row(sed_reader *r, char *line) {
    sed_row row;
    const char *instrument = "";
    if (sed_cells(r, &row, line, &instrument)) {
        return -1;
    }
    if (r->how->source && strcmp(r->how->source, row.cell[SED_SOURCE])) {
        return 0;
    }
    r->table->rows++;
    if (!r->strict && !strcmp(instrument, "DEBL")) {
        r->skipped_copies++;
        return 0;
    }
    int status = sed_place(r, &row);
    if (!status) {
        status = sed_flux_factor(r, &row);
    }
    if (!status && r->strict) {
        status = sed_point_strict(r, &row);
    } else if (!status) {
        status = sed_point_lenient(r, &row);
    }
    if (status < 0) {
        return -1;
    }
    r->table->dropped += status == SED_DROP;
    return status ? 0 : sed_add(r, &row, instrument);
}

static inline int sed_is_comment(const char *s) {
    if (*s == '/') {
        return s[1] == '/';
    }
    if (*s == '\\') {
        return s[1] != 0;
    }
    return *s && strchr("#!%;", *s);
}

/* Among the data: SSDC's export names the catalogue of the lines that follow, "# name (id = 3)". */
static inline void sed_comment_between(sed_reader *r, char *s) {
    char *id = strstr(s, " (id =");
    if (!id) {
        return;
    }
    *id = 0;
    SED_COPY(r->telescope, trim(s + 1));
}

static inline int sed_points(sed_reader *r) {
    char *line;
    while ((line = sed_line(r)) != NULL) {
        char *s = trim(line);
        if (sed_is_comment(s)) {
            sed_comment_between(r, s);
        } else if (sed_read_row(r, r->n_bars ? line : s)) {
            return -1;
        }
    }
    if (r->table->rows > 0) {
        return 0;
    }
    if (r->how->source) {
        return SED_REFUSE(r, "no line of the source '%.60s'", r->how->source);
    }
    return SED_REFUSE(r, "no data after the header");
}

/* ==== what the header says beside columns ========================================================================= */

static inline int sed_word_among(const char *word, const char *const *words) {
    for (; *words; words++)
        if (!strcasecmp(word, *words)) {
            return 1;
        }
    return 0;
}

/* JetSeT tells whether the table is observed or shifted back to the source, linear or not. */
static inline int sed_meta_frame(sed_reader *r, const char *key, const char *value, long line) {
    if (!strcmp(key, "restframe")) {
        r->luminosity_seen = strcmp(value, "obs") != 0;
        if (r->luminosity_seen && r->how->frame == SED_FRAME_OBSERVER) {
            return sed_refuse(r, line, "restframe '%.40s': a table in the source's frame is read with --frame source",
                              value);
        }
        return 0;
    }
    r->scale_log10 = !strcmp(value, "log-log");
    if (r->scale_log10 || !strcmp(value, "lin-lin")) {
        return 0;
    }
    return sed_refuse(r, line, "data_scale '%.40s' is neither lin-lin nor log-log", value);
}

/* Sets redshift, source, telescope or confidence level if the key is one of theirs. */
static inline int sed_meta(sed_reader *r, const char *key, const char *value, long line) {
    static const char *const redshift[] = {"redshift", "z", NULL};
    static const char *const source[] = {"source", "obj_name", "object", "source_name", "target", NULL};
    static const char *const telescope[] = {"telescope", "instrument", NULL};
    static const char *const level[] = {"confidence", "cl", "UL_CONF", "confidence_level", "ul_confidence_level", NULL};
    if (!*value || !strcmp(value, "null") || !strcmp(value, "~")) {
        return 0;
    }
    if (sed_word_among(key, redshift)) {
        double z;
        const char *wrong = read_real(&z, value);
        if (!wrong && z < 0) {
            wrong = "must be zero or more";
        }
        if (wrong) {
            return sed_refuse(r, line, "redshift '%.40s' %s", value, wrong);
        }
        if (z > 0 && fabs(z - r->table->redshift) > 0.001 * (1 + z)) {
            r->other_redshift = r->table->redshift;
        }
        if (z > 0) {
            r->table->redshift = z; /* 0 is SSDC's "not known" */
        }
    } else if (sed_word_among(key, source)) {
        SED_COPY(r->table->source, value);
    } else if (sed_word_among(key, telescope)) {
        SED_COPY(r->telescope, value);
    } else if (sed_word_among(key, level)) {
        return sed_confidence(r, &r->confidence, value, line);
    } else if (!strcmp(key, "restframe") || !strcmp(key, "data_scale")) {
        return sed_meta_frame(r, key, value, line);
    }
    return 0;
}

/* A level in words, "upper limit (95% CL)": read where it can be. */
static inline void sed_level_in_words(sed_reader *r, const char *about) {
    const char *percent = strchr(about, '%');
    if (!percent) {
        return;
    }
    const char *start = percent;
    while (start > about && strchr(" .0123456789", start[-1]))
        start--;
    double level;
    if (!real_prefix(&level, sed_skip(start))) {
        return;
    }
    if (level > 50 && level < 100) {
        r->confidence = level / 100;
    }
}

/* ==== our own CSV's names ========================================================================================= */

/* The beginning of a column's name (the unit follows), or its whole name; longer beginnings first. */
static const struct sed_own_name {
    const char *name;
    int role;
    int has_unit;
} sed_names[] = {
    {"nu_min_", SED_NU_MIN, 1},     {"nu_max_", SED_NU_MAX, 1}, {"energy_min_", SED_NU_MIN, 1},
    {"energy_max_", SED_NU_MAX, 1}, {"nu_", SED_NU, 1},         {"energy_", SED_NU, 1},
    {"wavelength_", SED_NU, 1},     {"nuFnu_", SED_FLUX, 1},    {"Fnu_", SED_FLUX, 1},
    {"dnde_", SED_FLUX, 1},         {"nuLnu_", SED_FLUX, 1},    {"err_lo_", SED_LO, 1},
    {"err_hi_", SED_HI, 1},         {"err_", SED_ERR, 1},       {"err", SED_ERR, 0},
    {"upper_limit", SED_UPPER, 0},  {"is_ul", SED_UPPER, 0},    {"confidence", SED_CONFIDENCE, 0},
    {"instrument", SED_NAME, 0},    {"source", SED_SOURCE, 0},  {"index", SED_INDEX, 0},
};
enum { SED_OWN_NAMES = sizeof sed_names / sizeof *sed_names };

/* The row of sed_names for a name, its log10_ taken off before; -1: none. */
static inline int sed_own_name(const char *name) {
    for (int i = 0; i < SED_OWN_NAMES; i++) {
        const char *word = sed_names[i].name;
        const int begins = !strncmp(name, word, strlen(word));
        const int is = begins && !name[strlen(word)];
        if (sed_names[i].has_unit ? begins : is) {
            return i;
        }
    }
    return -1;
}

/* The unit in a name, erg_cm2_s -> erg/cm2 s. */
static inline void sed_own_unit(char *to, size_t size, const char *s) {
    sed_copy(to, size, s);
    char sign = '/';
    for (char *unit = strchr(to, '_'); unit; unit = strchr(unit, '_')) {
        *unit = sign;
        sign = ' ';
    }
}

/* Refuses a flux whose name says one thing and its unit another, such as nuFnu_Jy or a nuFnu_erg_cm2 without its _s.
   name: without log10_. */
static inline int sed_own_flux(sed_reader *r, const sed_column *c, const char *name) {
    const int kind = sed_flux_kind_of(&c->unit);
    const char *wanted = kind < 0 ? NULL : sed_fluxes[kind].name;
    const char *unit = strchr(name, '_');
    if (!wanted || !unit) {
        return 0;
    }
    const size_t length = (size_t)(unit - name);
    if (strlen(wanted) == length && !strncmp(name, wanted, length)) {
        return 0;
    }
    return SED_REFUSE(r, "column '%.60s': '%.40s' is a unit of %s, not of %.*s", c->name, c->unit_text, wanted,
                      (int)length, name);
}

/* A column name such as log10_nuFnu_erg_cm2_s. */
static inline int sed_csv_column(sed_reader *r, const char *name, int index) {
    sed_column *c = &r->column[index];
    const char *rest = name;
    SED_COPY(c->name, name);
    if (*name == '_') {
        return 0;
    }
    c->log10 = sed_begins(rest, "log10_");
    if (c->log10) {
        rest += 6;
    }
    const int i = sed_own_name(rest);
    if (i < 0 || (c->log10 && sed_names[i].role > SED_FLUX)) {
        return SED_REFUSE(r, "unknown column '%.60s'", name);
    }
    int role = sed_names[i].role;
    if (sed_names[i].has_unit) {
        sed_own_unit(c->unit_text, sizeof c->unit_text, rest + strlen(sed_names[i].name));
        if (sed_unit_at(r, c, r->in.line)) {
            return -1;
        }
        if (role == SED_FLUX && sed_own_flux(r, c, rest)) {
            return -1;
        }
        if (c->unit.dex && role >= SED_ERR && role <= SED_HI) {
            role += 3;
        }
    }
    if (sed_has_role(r, role)) {
        return SED_REFUSE(r, "column '%s' gives what '%s' gives already", c->name, sed_column_of(r, role)->name);
    }
    r->at[role] = index;
    return 0;
}

/* field [n]: the names. */
static inline int sed_csv_header(sed_reader *r, char *const *field, int n) {
    r->strict = 1;
    r->n_columns = n;
    for (int i = 0; i < n; i++)
        if (sed_csv_column(r, field[i], i)) {
            return -1;
        }
    if (sed_has_role(r, SED_ERR) && sed_has_role(r, SED_FLUX)) {
        sed_column *err = sed_column_of(r, SED_ERR);
        if (!*err->unit_text) {
            err->unit = sed_column_of(r, SED_FLUX)->unit;
        }
    }
    if (sed_check_columns(r, r->in.line)) {
        return -1;
    }
    return sed_check_units(r, r->in.line);
}

/* Whether a name is one of ours, with a unit that can be read: then all of them must be. */
static inline int sed_is_own(const char *name) {
    char unit_text[64];
    char wrong[64];
    sed_unit unit;
    if (sed_begins(name, "log10_")) {
        name += 6;
    }
    const int i = sed_own_name(name);
    if (i < 0 || !sed_names[i].has_unit) {
        return 0;
    }
    sed_own_unit(unit_text, sizeof unit_text, name + strlen(sed_names[i].name));
    return *unit_text && !sed_unit_read(&unit, unit_text, wrong, sizeof wrong);
}

/* ==== other programs' names =======================================================================================
   A name is brought to small letters, digits and single _: "delta_F(-)" is delta_f_lo. What it means follows from the
   words it is made of: [d|delta] family [err|error|unc] [side]. */

static const char *const sed_families[] = {"e2dnde",      "nufnu",      "nu_fnu",    "nu_f_nu", "nufn", "vfv",
                                           "e2dn_de",     "dnde",       "diff_flux", "dn_de",   "flux", "sed",
                                           "energy_flux", "y",          "f",         "fnu",     "f_nu", "flux_density",
                                           "nulnu",       "luminosity", "norm",      "eflux",   NULL};
static const char *const sed_places[] = {
    "e_ref",      "energy", "eref", "nu",     "freq",       "frequency",     "x", "e", "en",
    "wavelength", "lambda", "wave", "e_mean", "energy_ref", "photon_energy", NULL};
static const char *const sed_width_bases[] = {"energy", "frequency", "freq", "nu", "e", "x", NULL};
static const char *const sed_flags[] = {
    "ul",      "is_ul",   "upper_limit", "upper_limits", "uplim", "uplims", "isdet", "is_upper_limit",
    "ul_flag", "flag_ul", "limit_flag",  "upperlimit",   NULL};
static const char *const sed_instruments_names[] = {"instrument", "data_set",  "dataset",  "telescope",
                                                    "catalog",    "catalogue", "cat",      "instr",
                                                    "facility",   "mission",   "detector", NULL};

static inline void sed_canonical(char *to, size_t size, const char *s) {
    size_t n = 0;
    while (*s && n + 4 < size) {
        const char c = *s;
        const char low = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        if ((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9')) {
            to[n++] = low;
        } else if (sed_begins(s, "\xce\xbd")) { /* the Greek nu */
            memcpy(to + n, "nu", 2);
            n += 2;
        } else if (sed_begins(s, "(-)") || sed_begins(s, "(+)")) {
            memcpy(to + n, s[1] == '-' ? "_lo" : "_hi", 3);
            n += 3;
        } else if (n && to[n - 1] != '_') {
            to[n++] = '_';
        }
        s++;
    }
    while (n && to[n - 1] == '_')
        n--;
    to[n] = 0;
}

/* The length of a word from the list at the beginning of s, the longest; 0: none. */
static inline size_t sed_starts(const char *s, const char *const *words) {
    size_t longest = 0;
    for (; *words; words++) {
        const size_t n = strlen(*words);
        if (n > longest && !strncmp(s, *words, n)) {
            longest = n;
        }
    }
    return longest;
}

/* -1, 0, 1: the lower side, none, the upper side; 2: something else. */
static inline int sed_side(const char *s) {
    static const char *const lower[] = {"n", "lo", "low", "lower", "minus", "neg", "m", "down", "min", "l", NULL};
    static const char *const upper[] = {"p", "hi", "high", "upper", "plus", "pos", "up", "max", "u", "h", NULL};
    while (*s == '_')
        s++;
    if (!*s) {
        return 0;
    }
    if (sed_word_among(s, lower)) {
        return -1;
    }
    return sed_word_among(s, upper) ? 1 : 2;
}

/* Whether a name is an error of the family (or width of a place): -1, 0, 1 its side; 2: no. alone: names without the
   family, "err_lo", count too. */
static inline int sed_error_name(const char *name, const char *family, int alone) {
    static const char *const before[] = {"d_", "d", "delta_", "delta", "e_", "err_", "error_", "unc_", "sigma_", NULL};
    static const char *const after[] = {"err", "error", "unc", "uncertainty", "stat_err", "e", NULL};
    const size_t length = strlen(family);
    const size_t lead = sed_starts(name, before);
    const char *s = name;
    int said = 0;
    if (lead && !strncmp(name + lead, family, length) && sed_side(name + lead + length) != 2) {
        s += lead + length;
        said = 1;
    } else if (!strncmp(name, family, length)) {
        s += length;
    } else if (!alone) {
        return 2;
    } else if (!strcmp(name, "dy")) {
        return 0;
    }
    while (*s == '_')
        s++;
    const size_t word = sed_starts(s, after);
    if (word > 1 || (word == 1 && s > name && !s[1])) {
        s += word;
        said = 1;
    }
    return said ? sed_side(s) : 2;
}

/* Whether a name is the family's limit. */
static inline int sed_limit_name(const char *name, const char *family) {
    static const char *const words[] = {"ul", "uplim", "upper_limit", "upperlimit", "limit", "upper", NULL};
    const size_t length = strlen(family);
    if (sed_begins(name, "ul_")) {
        return !strcmp(name + 3, family);
    }
    if (strncmp(name, family, length)) {
        return 0;
    }
    const char *s = name + length;
    while (*s == '_')
        s++;
    return sed_word_among(s, words);
}

/* An end of the bin: -1, 1; 2: no. */
static inline int sed_end_name(const char *name) {
    static const char *const bases[] = {"energy_edge", "e_edge", "energy", "ene",       "en",
                                        "e",           "nu",     "freq",   "frequency", NULL};
    const size_t n = sed_starts(name, bases);
    if (!n) {
        return 2;
    }
    const char *rest = name + n + (name[n] == '_');
    return strlen(rest) < 2 ? 2 : sed_side(rest); /* "en" is no end */
}

/* A half width of the bin: its side; 2: no. */
static inline int sed_width_name(const char *name) {
    if (!strcmp(name, "bin") || !strcmp(name, "ferr")) {
        return 0;
    }
    for (const char *const *base = sed_width_bases; *base; base++) {
        const int side = sed_error_name(name, *base, 0);
        if (side != 2) {
            return side;
        }
    }
    return 2;
}

static inline void sed_claim(sed_reader *r, int role, int column) {
    if (!sed_has_role(r, role)) {
        r->at[role] = column;
    }
}

/* "log_nu" is nu, a logarithm; in place. */
static inline int sed_strip_log(char *name) {
    static const char *const logs[] = {"log10_", "log_", "log10", "log", NULL};
    const size_t n = sed_starts(name, logs);
    if (!n || !name[n]) {
        return 0;
    }
    if (!sed_word_among(name + n, sed_places) && !sed_word_among(name + n, sed_families)) {
        return 0;
    }
    memmove(name, name + n, strlen(name + n) + 1);
    return 1;
}

typedef char sed_canonicals[SED_MAX_COLUMNS][64];

static inline int sed_named(sed_canonicals name, int n, const char *wanted) {
    for (int i = 0; i < n; i++)
        if (!strcmp(name[i], wanted)) {
            return i;
        }
    return -1;
}

/* The role of a side: -1, 0, 1. */
static inline int sed_by_side(int side, int lower, int both, int upper) {
    if (side < 0) {
        return lower;
    }
    return side > 0 ? upper : both;
}

/* Everything but fluxes. */
static inline void sed_assign_plain(sed_reader *r, sed_canonicals name) {
    static const char *const levels[] = {"cl", "confidence", "ul_conf", "confidence_level", NULL};
    static const char *const indices[] = {"index", "spectral_index", "photon_index", "gamma", NULL};
    for (const char *const *place = sed_places; *place; place++) {
        const int at = sed_named(name, r->n_columns, *place);
        if (at >= 0) {
            sed_claim(r, SED_NU, at);
        }
    }
    for (int i = 0; i < r->n_columns; i++) {
        const int end = sed_end_name(name[i]);
        const int width = sed_width_name(name[i]);
        if (end != 2) {
            sed_claim(r, end < 0 ? SED_NU_MIN : SED_NU_MAX, i);
        }
        if (width != 2) {
            sed_claim(r, sed_by_side(width, SED_WIDTH_LO, SED_WIDTH, SED_WIDTH_HI), i);
        }
        const int has_unit = *r->column[i].unit_text != 0;
        if (sed_word_among(name[i], sed_flags)) {
            sed_claim(r, has_unit ? SED_LIMIT : SED_UPPER, i);
        }
        if (sed_word_among(name[i], levels)) {
            sed_claim(r, SED_CONFIDENCE, i);
        }
        if (sed_word_among(name[i], sed_instruments_names)) {
            sed_claim(r, SED_NAME, i);
        }
        if (sed_word_among(name[i], indices)) {
            sed_claim(r, SED_INDEX, i);
        }
        if (!strcmp(name[i], "source")) {
            sed_claim(r, SED_SOURCE, i);
        }
    }
}

/* The errors of a family; alone: also those that name none. Returns how many there are. */
static inline int sed_assign_errors(sed_reader *r, sed_canonicals name, const char *family, int alone) {
    int n = 0;
    for (int i = 0; i < r->n_columns; i++) {
        const int side = sed_error_name(name[i], family, alone);
        if (side == 2) {
            continue;
        }
        if (i == r->at[SED_NU] || i == r->at[SED_FLUX]) {
            continue;
        }
        sed_claim(r, sed_by_side(side, SED_LO, SED_ERR, SED_HI), i);
        n++;
    }
    return n;
}

static inline int sed_family_limit(const sed_reader *r, sed_canonicals name, const char *family) {
    for (int i = 0; i < r->n_columns; i++)
        if (sed_limit_name(name[i], family)) {
            return i;
        }
    return -1;
}

/* Whether a family has errors or a limit of its own name. */
static inline int sed_family_whole(const sed_reader *r, sed_canonicals name, const char *family) {
    if (sed_family_limit(r, name, family) >= 0) {
        return 1;
    }
    for (int i = 0; i < r->n_columns; i++)
        if (sed_error_name(name[i], family, 0) != 2) {
            return 1;
        }
    return 0;
}

/* The first family of the list that is there with its errors, else the first that is there. NULL: none. */
static inline const char *sed_choose_family(const sed_reader *r, sed_canonicals name) {
    const char *bare = NULL;
    for (const char *const *family = sed_families; *family; family++) {
        const int there = sed_named(name, r->n_columns, *family) >= 0;
        if (!there && sed_family_limit(r, name, *family) < 0) {
            continue;
        }
        if (sed_family_whole(r, name, *family)) {
            return *family;
        }
        if (there && !bare) {
            bare = *family;
        }
    }
    return bare;
}

/* norm counts in units of a reference flux. */
static inline int sed_assign_reference(sed_reader *r, sed_canonicals name, long line) {
    if (strcmp(r->family, "norm")) {
        return 0;
    }
    int *at = &r->at[SED_REFERENCE];
    *at = sed_named(name, r->n_columns, "ref_e2dnde");
    if (*at < 0) {
        *at = sed_named(name, r->n_columns, "ref_dnde");
    }
    if (*at >= 0) {
        return 0;
    }
    return sed_refuse(r, line, "column 'norm' needs a column ref_e2dnde or ref_dnde");
}

static inline void sed_assign_flux(sed_reader *r, sed_canonicals name, const char *family) {
    SED_COPY(r->family, family);
    r->at[SED_FLUX] = sed_named(name, r->n_columns, family);
    const int limit = sed_family_limit(r, name, family);
    if (limit >= 0) {
        r->at[SED_LIMIT] = limit;
        sed_level_in_words(r, r->column[limit].about);
    }
    if (!sed_has_role(r, SED_FLUX)) {
        r->at[SED_FLUX] = r->at[SED_LIMIT]; /* limits only */
    }
    if (sed_assign_errors(r, name, family, 0)) {
        return;
    }
    if (sed_assign_errors(r, name, family, 1)) {
        return;
    }
    if (sed_assign_errors(r, name, "flux", 0)) {
        return;
    }
    for (int i = 0; i < r->n_columns; i++) {
        const size_t length = strlen(family);
        if (strncmp(name[i], family, length)) {
            continue;
        }
        if (!sed_begins(name[i] + length, "_err")) {
            continue;
        }
        sed_claim(r, SED_ERR, i);
        sed_note(r->table, "column '%s' is taken as the error of '%s'", r->column[i].name, family);
    }
}

/* Finds out what the columns of another program's table mean. */
static inline int sed_assign(sed_reader *r, long line) {
    sed_canonicals name;
    for (int i = 0; i < r->n_columns; i++) {
        sed_canonical(name[i], sizeof name[i], r->column[i].name);
        if (sed_strip_log(name[i])) {
            r->column[i].log10 = 1;
        }
    }
    sed_assign_plain(r, name);
    const char *family = sed_choose_family(r, name);
    if (family) {
        sed_assign_flux(r, name, family);
    }
    if (family && sed_assign_reference(r, name, line)) {
        return -1;
    }
    if (sed_check_columns(r, line)) {
        return -1;
    }
    return sed_check_units(r, line);
}

/* ==== names with units in brackets ================================================================================ */

/* Takes the unit out of "E [TeV]", "F(erg cm-2 s-1)_error", "nu / Hz"; what is left is the name. */
static inline void sed_name_and_unit(sed_column *c, char *text) {
    char *open = strchr(text, '[');
    char *close = open ? strchr(open, ']') : NULL;
    for (char *s = text; !open && *s; s++)
        if (*s == '(' && !sed_begins(s, "(+)") && !sed_begins(s, "(-)")) {
            open = s;
        }
    if (open && !close) {
        int depth = 0;
        for (close = open; *close; close++) {
            depth += (*close == '(') - (*close == ')');
            if (depth == 0) {
                break;
            }
        }
    }
    char *slash = strchr(text, '/');
    if (!strncasecmp(sed_skip(text), "dN/d", 4)) {
        slash = NULL;
    }
    if (slash && (!open || slash < open)) { /* "nu / Hz", "nuFnu / (erg cm-2 s-1)" */
        SED_COPY(c->unit_text, trim(slash + 1));
        *slash = 0;
    } else if (open && *close) {
        const size_t rest = strlen(close + 1);
        *close = 0;
        SED_COPY(c->unit_text, trim(open + 1));
        memmove(open, close + 1, rest + 1);
    }
    SED_COPY(c->name, trim(text));
}

/* 1 for a bracket that opens, -1 for one that closes. */
static inline int sed_deeper(char c) {
    if (c == '(' || c == '[') {
        return 1;
    }
    return c == ')' || c == ']' ? -1 : 0;
}

/* Cuts a line of names in place at separators outside brackets; a unit after a blank stays with its name. Returns how
   many, at most max + 1. */
static inline int sed_cut_names(char **token, int max, char *s, char separator) {
    const int by_blanks = separator == ' ';
    int depth = 0;
    int n = 0;
    s = trim(s);
    while (*s) {
        if (n == max) {
            return max + 1;
        }
        token[n++] = s;
        char last = 0;
        for (; *s; s++) {
            depth += sed_deeper(*s);
            const char *next = sed_skip(s);
            const int glued = by_blanks && (strchr("[(/", *next) || last == '/');
            const int separates = by_blanks ? is_space(*s) : *s == separator;
            if (depth <= 0 && separates && !glued) {
                break;
            }
            if (!is_space(*s)) {
                last = *s;
            }
        }
        if (*s) {
            *s++ = 0;
        }
        while (by_blanks && is_space(*s))
            s++;
    }
    return n;
}

/* The sign that separates names: one that stands outside brackets, else blanks. */
static inline char sed_names_separator(const char *s) {
    int depth = 0;
    for (; *s; s++) {
        depth += sed_deeper(*s);
        if (depth <= 0 && strchr(",;|", *s)) {
            return *s;
        }
    }
    return ' ';
}

/* The sign that cuts a line of data into n fields, or n + 1 where `more`; 0: none does. */
static inline char sed_data_separator(const char *line, int n, int more) {
    static const char signs[] = ",;| \t";
    char *field[SED_MAX_COLUMNS];
    const size_t size = strlen(line) + 1;
    char *copy = malloc(size);
    char found = 0;
    for (int extra = 0; copy && !found && extra <= more; extra++)
        for (const char *sign = signs; *sign && !found; sign++) {
            memcpy(copy, line, size);
            if (split(field, SED_MAX_COLUMNS, copy, *sign) == n + extra) {
                found = *sign;
            }
        }
    free(copy);
    return found;
}

/* Columns from a line of names, which it changes; the next line of data decides what separates. 1: it is none. */
static inline int sed_named_columns(sed_reader *r, char *names, const char *data, int more) {
    char *token[SED_MAX_COLUMNS];
    const int n = sed_cut_names(token, SED_MAX_COLUMNS, names, sed_names_separator(names));
    if (n < 2 || n > SED_MAX_COLUMNS) {
        return 1;
    }
    const char separator = sed_data_separator(data, n, more);
    if (!separator) {
        return 1;
    }
    memset(r->column, 0, sizeof r->column);
    for (int i = 0; i < n; i++)
        sed_name_and_unit(&r->column[i], token[i]);
    r->n_columns = n;
    r->separator = separator;
    return 0;
}

/* Whether a line's first field is a number. */
static inline int sed_is_data(const char *line) {
    double value;
    const char *s = sed_skip(line);
    const size_t n = real_prefix(&value, s);
    if (n == 0) {
        return 0;
    }
    const char after = s[n];
    return is_space(after) || strchr(",;|", after); /* or the end */
}

/* Units of their own line, one for each column that has none yet: "% keV erg/cm2/s erg/cm2/s". 0; 1: it is none. A word
   that is no unit, such as the type of a column of names, is passed over, if most are. */
static inline int sed_units_line(sed_reader *r, const char *line) {
    char text[1024];
    char *token[SED_MAX_COLUMNS];
    sed_unit unit;
    char wrong[64];
    int units = 0;
    SED_COPY(text, line);
    for (char *s = text; *s && s[1]; s++)
        if (*s == ']' && is_space(s[1])) {
            s[1] = ','; /* "[keV] [erg cm-2 s-1]" */
        }
    const int n = sed_cut_names(token, SED_MAX_COLUMNS, text, sed_names_separator(text));
    if (n != r->n_columns) {
        return 1;
    }
    for (int i = 0; i < n; i++) {
        char *s = trim(token[i]);
        const size_t length = strlen(s);
        const char last = length > 1 ? s[length - 1] : 0;
        const int opens = *s == '[' || *s == '(';
        const int closes = last == ']' || last == ')';
        if (opens && closes) {
            s[length - 1] = 0;
            s++;
        }
        token[i] = s;
        units += sed_is_letter(*s) && !sed_unit_read(&unit, s, wrong, sizeof wrong);
    }
    if (units < 2 || 2 * units < n) {
        return 1;
    }
    for (int i = 0; i < n; i++) {
        sed_column *c = &r->column[i];
        const int is_unit = sed_is_letter(*token[i]) && !sed_unit_read(&unit, token[i], wrong, sizeof wrong);
        if (is_unit && !*c->unit_text) {
            SED_COPY(c->unit_text, token[i]);
        }
    }
    return 0;
}

/* ==== tables without a formal header ============================================================================== */

/* What the comments before the data say. */
typedef struct sed_comments {
    char last[2048]; /* the last of them that looks like names, else the last */
    long line;
    int names;        /* it does */
    char units[1024]; /* the line after it */
    char mark;        /* the sign that it began with */
    int numbered;     /* columns of a SExtractor header in r->column */
    int ssdc;         /* SSDC's export: 1, 2 with logarithms */
} sed_comments;

/* "3 flux [cm-2 s-1 TeV-1]" or "3 flux description [unit]". */
static inline int sed_numbered(sed_reader *r, sed_comments *c, char *s) {
    char *end;
    if (c->numbered == SED_MAX_COLUMNS) {
        return 0;
    }
    const long number = strtol(s, &end, 10);
    if (number != c->numbered + 1 || !is_space(*end)) {
        return 0;
    }
    char *name = trim(end);
    sed_column *column = &r->column[c->numbered];
    char *open = strchr(name, '[');
    char *close = open ? strchr(open, ']') : NULL;
    memset(column, 0, sizeof *column);
    if (close) {
        *close = 0;
        SED_COPY(column->unit_text, trim(open + 1));
        *open = 0;
    }
    const size_t length = strcspn(name, " \t");
    SED_COPY(column->about, name + length);
    name[length] = 0;
    if (!sed_is_letter(*name)) {
        return 0;
    }
    SED_COPY(column->name, name);
    c->numbered++;
    return 1;
}

/* JetSeT's older header: "md z 0.03", "md col_types x,y,dy". */
static inline int sed_md(sed_reader *r, sed_comments *c, char *s) {
    char *key = trim(s + 2);
    char *value = key + strcspn(key, " \t");
    if (*value) {
        *value++ = 0;
    }
    value = trim(value);
    if (strcmp(key, "col_types")) {
        return sed_meta(r, key, value, r->in.line);
    }
    static const char *const units[4][2] = {
        {"x", "Hz"},
        {"dx", "Hz"},
        {"y", "erg/(cm2 s)"},
        {"dy", "erg/(cm2 s)"},
    };
    char *token[SED_MAX_COLUMNS];
    int n = sed_cut_names(token, SED_MAX_COLUMNS, value, sed_names_separator(value));
    if (n > SED_MAX_COLUMNS) {
        n = SED_MAX_COLUMNS;
    }
    for (int i = 0; i < n; i++) {
        sed_column *column = &r->column[i];
        memset(column, 0, sizeof *column);
        SED_COPY(column->name, trim(token[i]));
        for (int k = 0; k < 4; k++) {
            const int same = !strcmp(column->name, units[k][0]);
            if (same) {
                SED_COPY(column->unit_text, units[k][1]);
            }
        }
    }
    c->numbered = n;
    return 0;
}

/* Whether a comment names columns: a frequency or energy, and a flux. */
static inline int sed_names_columns(const char *s) {
    char text[2048];
    char name[64];
    char *token[SED_MAX_COLUMNS];
    sed_column column;
    int places = 0;
    int fluxes = 0;
    SED_COPY(text, s);
    const int n = sed_cut_names(token, SED_MAX_COLUMNS, text, sed_names_separator(text));
    for (int i = 0; i < n && i < SED_MAX_COLUMNS; i++) {
        sed_name_and_unit(&column, token[i]);
        sed_canonical(name, sizeof name, column.name);
        sed_strip_log(name);
        places += sed_word_among(name, sed_places) || sed_end_name(name) < 2;
        fluxes += sed_word_among(name, sed_families);
    }
    return places && fluxes;
}

static inline int sed_comment(sed_reader *r, sed_comments *c, char *s) {
    const char mark = *s;
    s++;
    while (*s == mark || *s == '/')
        s++;
    s = trim(s);
    if (sed_begins(s, "md ") || sed_begins(s, "md\t")) {
        return sed_md(r, c, s);
    }
    const int ssdc = strstr(s, "requency") && strstr(s, "ufnu") && strstr(s, "TStart");
    if (ssdc) {
        c->ssdc = strstr(s, "Log") ? 2 : 1;
    }
    if (strstr(s, " (id =")) {
        sed_comment_between(r, s - 1);
    }
    if (!*s || sed_numbered(r, c, s)) {
        return 0;
    }
    const int names = sed_names_columns(s);
    if (!names && c->names && !*c->units) {
        SED_COPY(c->units, s);
    }
    if (names || !c->names) {
        *c->units = 0;
        SED_COPY(c->last, s);
        c->line = r->in.line;
        c->mark = mark;
        c->names = names;
    }
    const size_t length = strcspn(s, ":=");
    if (!s[length]) {
        return 0;
    }
    s[length] = 0;
    char *value = trim(s + length + 1);
    const size_t end = strlen(value);
    const int quoted = *value == '\'' || *value == '"';
    if (quoted && end > 1 && value[end - 1] == *value) {
        value[end - 1] = 0;
        value++;
    }
    static const char *const known[] = {"redshift", "z", "source", "confidence", "cl", "ul_conf", "telescope", NULL};
    const char *key = trim(s);
    if (!sed_word_among(key, known)) {
        return 0;
    }
    return sed_meta(r, key, value, r->in.line);
}

/* Columns that are known without a header: the names of our CSV. */
static inline int sed_known_columns(sed_reader *r, const char *names, char separator) {
    char text[1024];
    char *field[SED_MAX_COLUMNS];
    SED_COPY(text, names);
    const int n = split(field, SED_MAX_COLUMNS, text, ',');
    if (n < 3 || n > SED_MAX_COLUMNS) {
        return error_set(r->err, "columns '%.100s': three names or more are needed", names);
    }
    memset(r->column, 0, sizeof r->column);
    if (sed_csv_header(r, field, n)) {
        return -1;
    }
    r->strict = 0;
    r->spare = 1;
    r->separator = separator;
    return 0;
}

/* SSDC's export; fluxes below zero are logarithms. */
static inline int sed_ssdc(sed_reader *r, const sed_comments *c, const char *data) {
    char *field[SED_MAX_COLUMNS];
    char copy[512];
    double flux = 1;
    SED_COPY(copy, data);
    const int n = split(field, SED_MAX_COLUMNS, copy, ' ');
    if (n > 3) {
        read_real(&flux, field[2]);
    }
    const char *names = "log10_nu_Hz,_bin,nuFnu_erg_cm2_s,err_erg_cm2_s";
    if (flux < 0) {
        names = "log10_nu_Hz,_bin,log10_nuFnu_erg_cm2_s,err_dex";
    }
    if (c->ssdc == 1) {
        names = "nu_Hz,_bin,nuFnu_erg_cm2_s,err_erg_cm2_s";
    }
    if (sed_known_columns(r, names, ' ')) {
        return -1;
    }
    r->at[SED_WIDTH] = 1;
    r->column[1].unit = r->column[0].unit;
    r->spare = 2;
    return 0;
}

/* How many of a sign a line holds. */
static inline int sed_count(const char *s, char sign) {
    int n = 0;
    for (; *s; s++)
        n += *s == sign;
    return n;
}

/* The line of a CSV of VOU-Blazars' eight columns, whatever they are called. */
static inline int sed_is_vou(const char *names, const char *data) {
    if (strncasecmp(sed_skip(names), "freq", 4)) {
        return 0;
    }
    return sed_count(names, ',') >= 6 && sed_count(data, ',') >= 6;
}

/* The line of names, which is no comment, has been read; it must be followed by data. */
static inline int sed_names_line(sed_reader *r, char *line) {
    char *field[SED_MAX_COLUMNS];
    char own[TEXT_LINE_MAX / 16];
    const long at = r->in.line;
    SED_COPY(own, line);
    const char found = sed_names_separator(own);
    char separator = found;
    if (found == '|') {
        separator = ',';
    }
    if (found == ' ' && strchr(own, '\t')) {
        separator = '\t';
    }
    const int n = split(field, SED_MAX_COLUMNS, own, separator);
    if (n < 0) {
        return sed_refuse(r, at, "a quote is not closed");
    }
    if (n > SED_MAX_COLUMNS) {
        return sed_refuse(r, at, "more than %d columns", SED_MAX_COLUMNS);
    }
    int ours = 0;
    for (int i = 0; i < n && n >= 2; i++)
        ours |= sed_is_own(field[i]);
    r->separator = separator;
    if (ours) {
        return sed_csv_header(r, field, n);
    }
    char *data = sed_line(r);
    while (data && sed_is_comment(sed_skip(data)))
        data = sed_line(r);
    char units[1024] = "";
    if (data && !sed_is_data(data)) { /* units, if those are: then the data follow */
        SED_COPY(units, data);
        data = sed_line(r);
        while (data && sed_is_comment(sed_skip(data)))
            data = sed_line(r);
    }
    r->pending = data;
    if (data && sed_is_vou(line, data)) {
        return sed_known_columns(r, "nu_Hz,nuFnu_erg_cm2_s,err_erg_cm2_s,_mjd,_end,is_ul,instrument", ',');
    }
    if (!data || sed_named_columns(r, line, data, 1) || r->n_columns < 3) {
        return sed_refuse(r, at, "no header line (such as nu_Hz,nuFnu_erg_cm2_s,err_dex); --columns names the columns");
    }
    r->spare = 1;
    if (*units && sed_units_line(r, units)) {
        return sed_refuse(r, at + 1, "'%.60s' is no data", units);
    }
    return sed_assign(r, at);
}

/* The data have begun without a line of names: the comments must hold them. */
static inline int sed_headless(sed_reader *r, sed_comments *c, char *data) {
    r->pending = data;
    if (c->ssdc) {
        return sed_ssdc(r, c, data);
    }
    if (sed_count(data, '|') >= 7) {
        if (sed_known_columns(r, "_ra,_dec,nu_Hz,_width,nuFnu_erg_cm2_s,err_erg_cm2_s,_start,_stop,is_ul", '|')) {
            return -1;
        }
        r->spare = 2;
        return 0;
    }
    if (c->numbered >= 3) {
        r->n_columns = c->numbered;
        r->separator = sed_data_separator(data, c->numbered, 1);
        r->spare = 1;
        const long at = c->line ? c->line : r->in.line;
        if (r->separator) {
            return sed_assign(r, at);
        }
    }
    r->spare = 1;
    const int named = *c->last && !sed_named_columns(r, c->last, data, 1);
    if (named && r->n_columns >= 3) {
        sed_units_line(r, c->units);
        r->zero_limits = c->mark == '!';
        return sed_assign(r, c->line);
    }
    return sed_refuse(r, r->in.line,
                      "no header line (such as nu_Hz,nuFnu_erg_cm2_s,err_dex); --columns names the columns");
}

/* Which of .columns holds the frequency. */
static inline int sed_place_among(const char *columns) {
    int k = 0;
    for (const char *s = columns; s; k++) {
        const char *name = s + (sed_begins(s, "log10_") ? 6 : 0);
        const int i = sed_own_name(name);
        if (i >= 0 && sed_names[i].role == SED_NU) {
            return k;
        }
        s = strchr(s, ',');
        if (s) {
            s++;
        }
    }
    return 0;
}

/* Whether a line's k-th field is a number. */
static inline int sed_number_at(const char *line, char separator, int k) {
    char *field[SED_MAX_COLUMNS];
    const size_t size = strlen(line) + 1;
    char *copy = malloc(size);
    double value;
    if (!copy) {
        return 0;
    }
    memcpy(copy, line, size);
    const int n = split(field, SED_MAX_COLUMNS, copy, separator);
    const int is = n > k && n <= SED_MAX_COLUMNS && !read_real(&value, field[k]);
    free(copy);
    return is;
}

/* .columns: lines before the first that has a number where the frequency is are passed over. */
static inline int sed_given_columns(sed_reader *r, char *line) {
    const int n = sed_count(r->how->columns, ',') + 1;
    const int place = sed_place_among(r->how->columns);
    for (; line; line = sed_line(r)) {
        if (sed_is_comment(sed_skip(line))) {
            continue;
        }
        const char separator = sed_data_separator(line, n, 20);
        if (!separator || !sed_number_at(line, separator, place)) {
            continue;
        }
        r->pending = line;
        return sed_known_columns(r, r->how->columns, separator);
    }
    return SED_REFUSE(r, "--columns names %d columns: no line of the table has as many", n);
}

/* Comments, then names or data. */
static inline int sed_plain(sed_reader *r, char *line) {
    sed_comments c = {.line = 0};
    for (; line; line = sed_line(r)) {
        char *s = trim(line);
        if (sed_is_comment(s)) {
            if (sed_comment(r, &c, s)) {
                return -1;
            }
            continue;
        }
        if (sed_is_data(s)) {
            return sed_headless(r, &c, s);
        }
        return sed_names_line(r, s);
    }
    return sed_refuse(r, r->in.line ? r->in.line : 1, "empty: no header line and no data");
}

/* ==== IPAC tables ================================================================================================= */

/* Cuts a header line at its bars; the first one sets them. Returns how many fields. */
static inline int sed_ipac_fields(sed_reader *r, char **field, char *line) {
    int n = 0;
    const int length = (int)strlen(line);
    for (int i = 0; i < length; i++) {
        if (line[i] != '|') {
            continue;
        }
        if (n <= SED_MAX_COLUMNS && r->n_bars == 0) {
            r->bar[n] = i;
        }
        line[i] = 0;
        if (n < SED_MAX_COLUMNS) {
            field[n] = line + i + 1;
        }
        n++;
    }
    if (n - 1 > SED_MAX_COLUMNS) {
        return SED_MAX_COLUMNS + 1;
    }
    for (int i = 0; i + 1 < n; i++)
        field[i] = trim(field[i]);
    return n - 1;
}

/* \key=value lines, then |names|, |types|, |units|, |nulls|. */
static inline int sed_ipac(sed_reader *r, char *line) {
    char *field[SED_MAX_COLUMNS + 1];
    sed_comments comments = {.line = 0};
    int headers = 0;
    for (; line; line = sed_line(r)) {
        if (*line == '\\') {
            if (sed_comment(r, &comments, line)) {
                return -1;
            }
            continue;
        }
        if (*line != '|') {
            break;
        }
        const int n = sed_ipac_fields(r, field, line);
        if (n > SED_MAX_COLUMNS) {
            return SED_REFUSE(r, "more than %d columns", SED_MAX_COLUMNS);
        }
        if (headers && n != r->n_columns) {
            return SED_REFUSE(r, "%d columns, not %d as above", n, r->n_columns);
        }
        for (int i = 0; i < n; i++) {
            sed_column *c = &r->column[i];
            if (headers == 0) {
                SED_COPY(c->name, field[i]);
            }
            if (headers == 2) {
                SED_COPY(c->unit_text, field[i]);
            }
            if (headers == 3) {
                SED_COPY(r->null_word, field[i]);
            }
        }
        r->n_columns = n;
        r->n_bars = n + 1;
        headers++;
    }
    r->pending = line;
    if (headers < 1 || r->n_columns < 2) {
        return SED_REFUSE(r, "no |names| of columns");
    }
    return sed_assign(r, r->in.line);
}

/* ==== ECSV header =================================================================================================
   Of YAML only what such headers hold: "key: value" in blocks and in {flow, style}, quoted or plain. A walk over all
   pairs, in order, is enough: a pair `name` under datatype begins a column, `unit` belongs to the last one. */

typedef struct sed_yaml {
    const char *s, *start;
    long line; /* of *s in the file */
    int flow;  /* depth of brackets */
    int top;   /* the pair stands at the left margin */
    char key[64], value[256];
} sed_yaml;

/* One character of a scalar in double quotes, after a backslash. */
static inline char sed_yaml_escape(char c) {
    if (c == 't') {
        return '\t';
    }
    return c == 'n' ? ' ' : c;
}

/* Reads a scalar in quotes. */
static inline void sed_yaml_quoted(sed_yaml *y, char *to, size_t size) {
    const char quote = *y->s++;
    size_t n = 0;
    for (; *y->s; y->s++) {
        char c = *y->s;
        const int twice = quote == '\'' && c == quote && y->s[1] == quote;
        if (c == quote && !twice) {
            break;
        }
        if (c == '\n') {
            y->line++;
            c = ' ';
        } else if (twice) {
            y->s++;
        } else if (c == '\\' && quote == '"' && !strchr("\n", y->s[1])) {
            c = sed_yaml_escape(*++y->s);
        }
        if (n + 1 < size) {
            to[n++] = c;
        }
    }
    to[n] = 0;
    if (*y->s) {
        y->s++;
    }
    y->s = sed_skip(y->s);
}

/* Reads a plain scalar up to one of the ends, or ": " for a key. */
static inline void sed_yaml_plain(sed_yaml *y, char *to, size_t size, int is_key) {
    size_t n = 0;
    for (; *y->s; y->s++) {
        char c = *y->s;
        const int ends_key = c == ':' && (!y->s[1] || strchr(" \t\n", y->s[1]));
        const int opens = y->flow && strchr("{[", c) != NULL;
        if (is_key && (ends_key || opens)) {
            break;
        }
        const char *ends = y->flow ? ",}]" : "\n";
        if (strchr(ends, c)) {
            break;
        }
        if (c == '\n') {
            y->line++;
            c = ' ';
        }
        if (n + 1 < size) {
            to[n++] = c;
        }
    }
    to[n] = 0;
    memmove(to, trim(to), strlen(trim(to)) + 1);
}

/* Reads a scalar. Returns whether it was followed by a colon. */
static inline int sed_yaml_scalar(sed_yaml *y, char *to, size_t size, int is_key) {
    if (*y->s == '\'' || *y->s == '"') {
        sed_yaml_quoted(y, to, size);
    } else {
        sed_yaml_plain(y, to, size, is_key);
    }
    return *y->s == ':';
}

static inline void sed_yaml_tag(sed_yaml *y) {
    while (*y->s && !strchr(" \n{[", *y->s))
        y->s++;
}

/* Passes over the lines that go on with a plain scalar or are a block of text: those indented more than its key. */
static inline void sed_yaml_block(sed_yaml *y, size_t indent) {
    while (*y->s == '\n') {
        const char *line = y->s + 1;
        const size_t blanks = strspn(line, " ");
        if (line[blanks] && line[blanks] != '\n' && blanks <= indent) {
            return;
        }
        if (!line[blanks]) {
            return;
        }
        y->s = line + strcspn(line, "\n");
        y->line++;
    }
}

/* Where the text of the present line begins, behind "- ". */
static inline size_t sed_yaml_indent(const sed_yaml *y) {
    const char *s = y->s;
    while (s > y->start && s[-1] != '\n')
        s--;
    return strspn(s, " -");
}

/* What follows the colon of a pair; empty where a block or bracket does. */
static inline void sed_yaml_value(sed_yaml *y, size_t indent) {
    y->s = sed_skip(y->s + 1);
    if (*y->s == '!') {
        sed_yaml_tag(y);
    }
    y->s = sed_skip(y->s);
    y->value[0] = 0;
    if (!*y->s || strchr("{[\n", *y->s)) {
        return;
    }
    const int block = (*y->s == '|' || *y->s == '>') && !y->flow;
    const int quoted = *y->s == '"' || *y->s == '\'';
    sed_yaml_scalar(y, y->value, sizeof y->value, 0);
    if (block) {
        y->value[0] = 0;
    }
    if (!quoted && !y->flow) {
        sed_yaml_block(y, indent);
    }
}

/* The next pair. Returns 0 at the end. */
static inline int sed_yaml_next(sed_yaml *y) {
    while (*y->s) {
        char c = *y->s;
        if (c == '\n') {
            y->line++;
        }
        if (c == '{' || c == '[') {
            y->flow++;
        }
        if ((c == '}' || c == ']') && y->flow > 0) {
            y->flow--;
        }
        const int is_dash = c == '-' && strchr(" \n", y->s[1]);
        if (is_dash || strchr(" \t\n{[}],", c)) {
            y->s++;
            continue;
        }
        if (c == '!') {
            sed_yaml_tag(y);
            continue;
        }
        y->top = y->s == y->start || y->s[-1] == '\n';
        const size_t indent = sed_yaml_indent(y);
        if (!sed_yaml_scalar(y, y->key, sizeof y->key, 1)) {
            continue;
        }
        sed_yaml_value(y, indent);
        return 1;
    }
    return 0;
}

/* A pair of the description of columns. */
static inline int sed_ecsv_column(sed_reader *r, const sed_yaml *y) {
    if (!strcmp(y->key, "name")) {
        if (r->n_columns == SED_MAX_COLUMNS) {
            return sed_refuse(r, y->line, "more than %d columns", SED_MAX_COLUMNS);
        }
        SED_COPY(r->column[r->n_columns].name, y->value);
        r->n_columns++;
        return 0;
    }
    if (r->n_columns == 0) {
        return 0;
    }
    sed_column *c = &r->column[r->n_columns - 1];
    if (!strcmp(y->key, "unit")) {
        SED_COPY(c->unit_text, y->value);
    }
    if (!strcmp(y->key, "description")) {
        SED_COPY(c->about, y->value);
    }
    return 0;
}

static inline int sed_ecsv_yaml(sed_reader *r, const char *yaml, long line) {
    sed_yaml y = {0};
    y.s = yaml;
    y.start = yaml;
    y.line = line;
    char section[64] = "";
    char parent[64] = "";
    while (sed_yaml_next(&y)) {
        if (y.top) {
            memcpy(section, y.key, sizeof section);
        }
        int bad = 0;
        if (!strcmp(section, "datatype")) {
            bad = sed_ecsv_column(r, &y);
        }
        if (!strcmp(section, "meta")) {
            const int is_value = !strcmp(y.key, "value");
            bad = sed_meta(r, is_value ? parent : y.key, y.value, y.line);
        }
        if (y.top && !strcmp(section, "delimiter")) {
            if (strlen(y.value) > 1) {
                return sed_refuse(r, y.line, "delimiter '%.40s' is more than one sign", y.value);
            }
            r->separator = y.value[0] ? y.value[0] : ' ';
        }
        if (bad) {
            return -1;
        }
        if (!y.value[0]) {
            memcpy(parent, y.key, sizeof parent);
        }
    }
    return 0;
}

/* The line with the names must agree with the YAML header. */
static inline int sed_ecsv_names(sed_reader *r, char *line) {
    char *field[SED_MAX_COLUMNS];
    const int n = split(field, SED_MAX_COLUMNS, line, r->separator);
    const long at = r->in.line;
    if (r->n_columns == 0) {
        return sed_refuse(r, at, "no columns in the ECSV header");
    }
    if (n != r->n_columns) {
        return sed_refuse(r, at, "the ECSV header describes %d columns, this line names %d", r->n_columns, n);
    }
    for (int i = 0; i < n; i++)
        if (strncmp(field[i], r->column[i].name, sizeof r->column->name - 1)) {
            return sed_refuse(r, at, "column %d is '%.60s' here and '%s' in the ECSV header", i + 1, field[i],
                              r->column[i].name);
        }
    return sed_assign(r, at);
}

/* Collects the comment lines without their "# ", which is the YAML header. */
static inline int sed_ecsv(sed_reader *r, char *line) {
    char *yaml = malloc((size_t)(r->in.end - line) + 2);
    char *out = yaml;
    if (!yaml) {
        return sed_no_memory(r);
    }
    r->separator = ' ';
    for (line = text_line(&r->in); line; line = text_line(&r->in)) {
        if (!*sed_skip(line)) {
            continue;
        }
        if (*line != '#') {
            break;
        }
        line += line[1] == ' ' ? 2 : 1;
        size_t n = strlen(line);
        memcpy(out, line, n);
        out[n] = '\n';
        out += n + 1;
    }
    *out = 0;
    int bad = sed_ecsv_yaml(r, yaml, 2);
    free(yaml);
    if (bad) {
        return -1;
    }
    if (!line) {
        return SED_REFUSE(r, "no line with the names of the columns");
    }
    return sed_ecsv_names(r, line);
}

/* ==== what looks wrong ============================================================================================ */

static inline int sed_compare_double(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double sed_median(double *v, int n) {
    qsort(v, (size_t)n, sizeof *v, sed_compare_double);
    return n ? v[n / 2] : (double)NAN;
}

/* The linear error of a detection over its flux, upper side. */
static inline double sed_relative(const bml_ssc_point *p) {
    return expm1(2.302585092994046 * p->sigma_hi);
}

/* "4 points (first at 4.8e+09 Hz, Effelsberg)". */
static inline const char *sed_where(char *to, size_t size, const sed_table *t, int n, int first) {
    const char *name = t->instrument[first];
    const char *comma = *name ? ", " : "";
    const double nu = t->point[first].nu;
    if (n == 1) {
        snprintf(to, size, "1 point (%.4g Hz%s%.20s)", nu, comma, name);
    } else {
        snprintf(to, size, "%d points (first %.4g Hz%s%.20s)", n, nu, comma, name);
    }
    return to;
}

/* A logarithm in a column of frequencies, or of fluxes; a flux no source has. */
static inline int sed_check_ranges(sed_reader *r) {
    const sed_table *t = r->table;
    const double lowest = 1e6;   /* [Hz] no radio wave below reaches the ground */
    const double highest = 1e31; /* [Hz] 4e16 eV */
    const double faintest = 1e-24;
    const double brightest = 1e-4;
    char where[80];
    for (int i = 0; i < t->n; i++) {
        const bml_ssc_point *p = &t->point[i];
        if (p->nu < lowest || p->nu > highest) {
            return sed_refuse_all(
                r, "%.6g Hz is no frequency of a telescope: a logarithm (log10_nu_Hz), or another unit?", p->nu);
        }
        if (p->upper_limit ? p->nuFnu > brightest : p->nuFnu < faintest || p->nuFnu > brightest) {
            return sed_refuse_all(r, "nuFnu = %.3g erg/(cm2 s), %s, is no source's: a logarithm, or another unit?",
                                  p->nuFnu, sed_where(where, sizeof where, t, 1, i));
        }
    }
    return 0;
}

/* Whether a relative error is one that no instrument has, or 10^4 times smaller or larger than the table's median:
   -1, 0, 1. */
static inline int sed_odd_error(double e, double median) {
    const double ratio = e / median;
    if (e < 1e-5 || (e < 1e-4 && ratio < 1e-4)) {
        return -1;
    }
    return e > 1e3 || (e > 30 && ratio > 1e4);
}

/* Such errors: a warning by name. */
static inline int sed_check_errors(sed_reader *r) {
    sed_table *t = r->table;
    double *relative = malloc((size_t)(t->n + 1) * sizeof *relative);
    char where[80];
    int n = 0;
    if (!relative) {
        return sed_no_memory(r);
    }
    for (int i = 0; i < t->n; i++) {
        const bml_ssc_point *p = &t->point[i];
        if (p->upper_limit) {
            continue;
        }
        relative[n] = sed_relative(p);
        n++;
    }
    const double median = sed_median(relative, n);
    free(relative);
    for (int side = -1; side <= 1; side += 2) {
        int bad = 0;
        int first = 0;
        for (int i = t->n - 1; i >= 0; i--) {
            const bml_ssc_point *p = &t->point[i];
            if (p->upper_limit) {
                continue;
            }
            if (sed_odd_error(sed_relative(p), median) != side) {
                continue;
            }
            first = i;
            bad++;
        }
        if (!bad) {
            continue;
        }
        t->odd_errors += bad;
        sed_note(t, "WARNING: the errors of %s are impossibly %s: %.1e of the flux; the table's median is %.1e. %s",
                 sed_where(where, sizeof where, t, bad, first), side < 0 ? "small" : "large",
                 sed_relative(&t->point[first]), median,
                 side < 0 ? "--error-floor raises them, --skip leaves an instrument out" : "Another unit?");
    }
    return 0;
}

/* log10 of the median flux of the detections near point i, within half a decade and of other instruments where there
   are; NaN: fewer than two. */
static inline double sed_neighbours(const sed_table *t, int i, double *room) {
    enum { REACH = 40 };
    int n = 0;
    for (int k = i - REACH; k <= i + REACH; k++) {
        if (k < 0 || k >= t->n || k == i) {
            continue;
        }
        const bml_ssc_point *p = &t->point[k];
        if (p->upper_limit) {
            continue;
        }
        const double apart = log10(p->nu / t->point[i].nu);
        if (fabs(apart) > 0.5) {
            continue;
        }
        const int same = !strcmp(t->instrument[k], t->instrument[i]);
        if (same && *t->instrument[i]) {
            continue;
        }
        room[n] = log10(p->nuFnu);
        n++;
    }
    return n < 2 ? (double)NAN : sed_median(room, n);
}

/* Fluxes far from those beside them: a warning by name. */
static inline void sed_check_fluxes(sed_reader *r) {
    sed_table *t = r->table;
    double room[81];
    char where[80];
    int n = 0;
    int first = 0;
    double by = 0;
    for (int i = 0; i < t->n; i++) {
        if (t->point[i].upper_limit) {
            continue;
        }
        const double off = log10(t->point[i].nuFnu) - sed_neighbours(t, i, room);
        if (!(fabs(off) > 2.4)) {
            continue;
        }
        if (!n++) {
            first = i;
            by = off;
        }
    }
    t->odd_fluxes = n;
    if (n) {
        sed_note(t, "WARNING: the fluxes of %s lie a factor %.1e %s those beside them: another unit?",
                 sed_where(where, sizeof where, t, n, first), pow(10, fabs(by)), by > 0 ? "above" : "below");
    }
}

/* Detections of one instrument (or of the table, where it names none) without a gap of half a decade. */
typedef struct sed_block {
    int first;
    int n;
    double lo; /* log10 of frequencies */
    double hi;
    double middle; /* log10 of the mean frequency */
    double flux;   /* log10 of the median */
} sed_block;
enum { SED_BLOCKS = 64 };

/* Whether point i, at log10 of its frequency, goes on with a block. */
static inline int sed_belongs(const sed_block *b, const sed_table *t, int i, double at) {
    if (at - b->hi > 0.5) {
        return 0;
    }
    return !strcmp(t->instrument[i], t->instrument[b->first]);
}

/* block [SED_BLOCKS], owner [t->n]: each point's, -1 for limits. Returns how many, 0 where they are more than fit. */
static inline int sed_blocks(sed_block *block, int *owner, const sed_table *t) {
    int n = 0;
    for (int i = 0; i < t->n; i++) {
        const double at = log10(t->point[i].nu);
        int k = 0;
        owner[i] = -1;
        if (t->point[i].upper_limit) {
            continue;
        }
        while (k < n && !sed_belongs(&block[k], t, i, at))
            k++;
        if (k == SED_BLOCKS) {
            return 0;
        }
        sed_block *b = &block[k];
        if (k == n) {
            memset(b, 0, sizeof *b);
            b->first = i;
            b->lo = at;
            n++;
        }
        owner[i] = k;
        b->hi = at;
        b->n++;
        b->middle += (at - b->middle) / b->n;
    }
    return n;
}

/* How far block k lies from the straight line between those beside it, less what blazars do by themselves: medians of
   324 (Rodrigues et al. 2024) in radio, optical and X rays lie 1.8 dex below it to 2.6 above, X rays 0.5 above where
   the line is one from the optical to gamma rays. Those of gamma rays, and a block at an end, lie 2.5 dex above all
   others at most. Not 0: no blazar's. 0 too where others overlap, which sed_check_fluxes has seen. */
static inline double sed_block_off(const sed_block *block, int n, int k) {
    const sed_block *below = NULL;
    const sed_block *above = NULL;
    const sed_block *its = &block[k];
    double top = -HUGE_VAL;
    for (int i = 0; i < n; i++) {
        if (i == k) {
            continue;
        }
        const sed_block *b = &block[i];
        const int overlaps = b->lo < its->hi + 0.5 && b->hi > its->lo - 0.5;
        if (overlaps) {
            return 0;
        }
        top = fmax(top, b->flux);
        const int nearer_below = !below || b->middle > below->middle;
        const int nearer_above = !above || b->middle < above->middle;
        if (b->middle < its->middle && nearer_below) {
            below = b;
        }
        if (b->middle > its->middle && nearer_above) {
            above = b;
        }
    }
    const int at_end = !below || !above;
    if (at_end || its->middle > 20) {
        return fmax(its->flux - top - 2.6, 0);
    }
    const double slope = (above->flux - below->flux) / (above->middle - below->middle);
    const double off = its->flux - below->flux - slope * (its->middle - below->middle);
    const double most = below->middle > 13 ? 1.2 : 2.7;
    return off > 0 ? fmax(off - most, 0) : fmin(off + 2, 0);
}

/* A whole block in another unit: nothing beside it tells, but the rest of the spectrum may. A warning by name. */
static inline int sed_check_blocks(sed_reader *r) {
    sed_table *t = r->table;
    sed_block block[SED_BLOCKS];
    char where[80];
    double worst = 0;
    int odd = 0;
    int *owner = malloc((size_t)(t->n + 1) * sizeof *owner);
    double *flux = malloc((size_t)(t->n + 1) * sizeof *flux);
    const int n = owner && flux ? sed_blocks(block, owner, t) : 0;
    for (int k = 0; k < n; k++) {
        int m = 0;
        for (int i = 0; i < t->n; i++) {
            if (owner[i] != k) {
                continue;
            }
            flux[m] = log10(t->point[i].nuFnu);
            m++;
        }
        block[k].flux = sed_median(flux, m);
    }
    for (int k = 0; k < n && n > 1; k++) {
        const double off = sed_block_off(block, n, k);
        if (block[k].n < 2) {
            continue;
        }
        if (!(fabs(off) > fabs(worst))) {
            continue;
        }
        worst = off;
        odd = k;
    }
    const int failed = !owner || !flux;
    free(owner);
    free(flux);
    if (failed) {
        return sed_no_memory(r);
    }
    if (worst == 0) {
        return 0;
    }
    t->odd_fluxes += block[odd].n;
    sed_note(t,
             "WARNING: the fluxes of %s lie as far %s the rest of the spectrum as no blazar's: another unit, here or "
             "beside?",
             sed_where(where, sizeof where, t, block[odd].n, block[odd].first), worst > 0 ? "above" : "below");
    return 0;
}

/* A table whose fluxes are off by one unit alike: no blazar keeps above 3e-9 erg/(cm2 s), which Mrk 421 and 3C 454.3 reach
   in flares. A warning. */
static inline int sed_check_bright(sed_reader *r) {
    sed_table *t = r->table;
    const double brightest = 3e-9;
    double *flux = malloc((size_t)(t->n + 1) * sizeof *flux);
    int n = 0;
    if (!flux) {
        return sed_no_memory(r);
    }
    for (int i = 0; i < t->n; i++) {
        const bml_ssc_point *p = &t->point[i];
        if (p->upper_limit || !(p->nu > 1e12)) {
            continue;
        }
        flux[n] = p->nuFnu;
        n++;
    }
    const double median = sed_median(flux, n);
    free(flux);
    if (!(median > brightest)) {
        return 0;
    }
    t->odd_fluxes += n;
    sed_note(t, "WARNING: the median flux, %.1e erg/(cm2 s), outshines every blazar: another unit?", median);
    return 0;
}

/* The names given to .skip must be there. */
static inline int sed_check_skips(sed_reader *r) {
    for (int i = 0; i < r->how->n_skip && i < (int)sizeof r->skip_met; i++)
        if (!r->skip_met[i]) {
            return sed_refuse_all(r, "no point of the instrument '%.60s'", r->how->skip[i]);
        }
    return 0;
}

/* ==== the readers ================================================================================================= */

typedef struct sed_sorted {
    bml_ssc_point point;
    double bin[2];
    int index;
} sed_sorted;

static inline int sed_compare(const void *a, const void *b) {
    const sed_sorted *p = a;
    const sed_sorted *q = b;
    if (p->point.nu < q->point.nu) {
        return -1;
    }
    if (p->point.nu > q->point.nu) {
        return 1;
    }
    return (p->index > q->index) - (p->index < q->index);
}

/* By frequency; points of one frequency stay in the order of the file. */
static inline int sed_sort(sed_reader *r) {
    sed_table *t = r->table;
    sed_sorted *s = malloc((size_t)(t->n + 1) * sizeof *s);
    char(*names)[SED_INSTRUMENT] = malloc((size_t)(t->n + 1) * sizeof *names);
    if (!s || !names) {
        free(s);
        free(names);
        return sed_no_memory(r);
    }
    for (int i = 0; i < t->n; i++) {
        s[i].point = t->point[i];
        memcpy(s[i].bin, t->bin[i], sizeof s[i].bin);
        s[i].index = i;
    }
    qsort(s, (size_t)t->n, sizeof *s, sed_compare);
    for (int i = 0; i < t->n; i++) {
        t->point[i] = s[i].point;
        memcpy(t->bin[i], s[i].bin, sizeof s[i].bin);
        memcpy(names[i], t->instrument[s[i].index], SED_INSTRUMENT);
    }
    free(t->instrument);
    free(s);
    t->instrument = names;
    return 0;
}

/* Counts, for the user. */
static inline void sed_notes(sed_reader *r) {
    sed_table *t = r->table;
    int limits = 0;
    for (int i = 0; i < t->n; i++)
        limits += t->point[i].upper_limit;
    if (r->other_redshift > 0) {
        sed_note(t, "WARNING: the table names two redshifts, %.6g and %.6g: the last one holds", r->other_redshift,
                 t->redshift);
    }
    const int empty = t->dropped - r->unerring;
    if (empty > 0) {
        sed_note(t, "%d of %d lines hold neither a flux nor a limit: dropped", empty, t->rows);
    }
    if (r->unerring) {
        sed_note(t, "WARNING: %d fluxes without an error: dropped (an error floor, --error-floor, keeps them)",
                 r->unerring);
    }
    if (t->negative) {
        sed_note(t, "%d fluxes of zero or less are taken as limits at %.4g %%, from their errors", t->negative,
                 100 * r->confidence);
    }
    if (r->raised) {
        sed_note(t, "%d errors were raised to %.3g dex", r->raised, r->how->error_floor);
    }
    if (r->skipped_copies) {
        sed_note(t, "%d lines of the catalogue DEBL are corrected copies: dropped", r->skipped_copies);
    }
    if (t->left_out) {
        sed_note(t, "%d points were left out as asked", t->left_out);
    }
    if (limits > t->negative) {
        sed_note(t, "limits are taken at a confidence of %.4g %% where none is theirs", 100 * r->confidence);
    }
    if (r->how->frame == SED_FRAME_SOURCE) {
        sed_note(t, "brought from the source's frame to the observer's with z = %.6g (H0 = 70, Omega_m = 0.3)",
                 r->redshift);
    }
}

/* The frame: a luminosity needs the source's, and a redshift. */
static inline int sed_frame_of_table(sed_reader *r) {
    const int luminosity = sed_fluxes[r->flux_kind].luminosity;
    r->redshift = r->how->redshift > 0 ? r->how->redshift : r->table->redshift;
    if (luminosity && r->how->frame != SED_FRAME_SOURCE) {
        return sed_refuse(r, r->in.line,
                          "column '%s' is a luminosity: a table in the source's frame is read with --frame source",
                          sed_column_of(r, SED_FLUX)->name);
    }
    if (r->how->frame != SED_FRAME_SOURCE || r->redshift > 0) {
        return 0;
    }
    return SED_REFUSE(r, "--frame source needs a redshift, and the table has none");
}

/* Files that are no tables of this kind. */
static inline const char *sed_other_format(const char *line) {
    if (sed_begins(line, "SIMPLE  =")) {
        return "a FITS file: save its table as ECSV or CSV first";
    }
    if (sed_begins(line, "<?xml") || !strncasecmp(line, "<votable", 8)) {
        return "a VOTable: save it as ECSV or CSV first";
    }
    if (*line == '{' || sed_begins(line, "[{")) {
        return "JSON: save its table as ECSV or CSV first";
    }
    return NULL;
}

static inline int sed_header(sed_reader *r) {
    char *line = text_line(&r->in);
    if (line && !r->how->columns && sed_begins(line, "# %ECSV")) {
        return sed_ecsv(r, line);
    }
    while (line && !*sed_skip(line))
        line = text_line(&r->in);
    const long last = r->in.line ? r->in.line : 1;
    if (!line) {
        return sed_refuse(r, last, "empty: no header line and no data");
    }
    const char *other = sed_other_format(line);
    if (other) {
        return SED_REFUSE(r, "%s", other);
    }
    if (r->how->columns) {
        return sed_given_columns(r, line);
    }
    const int is_latex = sed_begins(line, "\\begin");
    if (strchr("|\\", *line) && !is_latex) {
        return sed_ipac(r, line);
    }
    return sed_plain(r, line);
}

static inline int sed_read_all(sed_reader *r) {
    if (sed_header(r)) {
        return -1;
    }
    if (sed_frame_of_table(r)) {
        return -1;
    }
    if (sed_points(r)) {
        return -1;
    }
    if (sed_sort(r)) {
        return -1;
    }
    if (sed_check_skips(r)) {
        return -1;
    }
    if (r->table->n == 0 && r->table->left_out) {
        return sed_refuse_all(r, "all its %d points were left out as asked (--nu-min, --nu-max, --skip)",
                              r->table->left_out);
    }
    if (r->table->n == 0) {
        return sed_refuse_all(r, "none of its %d lines gives a point", r->table->rows);
    }
    sed_notes(r);
    if (r->how->unchecked) {
        return 0;
    }
    if (sed_check_ranges(r) || sed_check_errors(r)) {
        return -1;
    }
    sed_check_fluxes(r);
    if (r->table->odd_fluxes == 0 && sed_check_blocks(r)) {
        return -1;
    }
    return sed_check_bright(r);
}

/* Reads the table from the text r->in, which it closes. */
static inline int sed_read_text(sed_reader *r, sed_table *t, const sed_options *how, char *err) {
    static const sed_options none = {.confidence = 0};
    r->table = t;
    r->err = err;
    r->how = how ? how : &none;
    r->confidence = r->how->confidence != 0 ? r->how->confidence : 0.95;
    for (int i = 0; i < SED_ROLES; i++)
        r->at[i] = -1;
    int bad = 0;
    if (!(r->confidence > 0.5 && r->confidence < 1)) {
        bad = error_set(err, "confidence level %g is not between 0.5 and 1", r->confidence);
    }
    bad = bad || sed_read_all(r);
    text_close(&r->in);
    if (!bad) {
        return 0;
    }
    sed_free(t);
    return -1;
}

static inline void sed_begin(sed_table *t) {
    memset(t, 0, sizeof *t);
    t->redshift = (double)NAN;
}

/* Reads a file; "-" is standard input. Returns 0, or -1 with a line in err[ERROR_SIZE] and an empty table. Free the
   table with sed_free. */
static inline int sed_read(sed_table *t, const char *path, const sed_options *how, char *err) {
    sed_reader r = {.n_columns = 0};
    sed_begin(t);
    if (text_open(&r.in, path, err)) {
        return -1;
    }
    return sed_read_text(&r, t, how, err);
}

/* The same from memory; name stands for the file in messages. */
static inline int sed_read_memory(sed_table *t, const void *data, size_t size, const char *name, const sed_options *how,
                                  char *err) {
    sed_reader r = {.n_columns = 0};
    sed_begin(t);
    if (text_copy(&r.in, data, size, name, err)) {
        return -1;
    }
    return sed_read_text(&r, t, how, err);
}
#endif
