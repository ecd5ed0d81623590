/* bml_sed.h: SED tables, tables of the background light, and the network for the SSC solver, as library code.

   The readers and the surrogate that fit_sed is made of (sed.h, ebl.h, surrogate.h), behind an interface like that of
   the bml headers: objects, statuses and reasons; no printing, no exit. The shared library (make shared) holds it, and
   other languages call it.

   In ONE source file:           #define BML_SED_IMPLEMENTATION
                                 #include "bml_sed.h"
   everywhere else just:         #include "bml_sed.h"             with bml_ssc.h, bml_nn.h and their implementations

       #define _DEFAULT_SOURCE        // before any system header, or -std=gnu99: files are read through POSIX
       #define BML_SSC_IMPLEMENTATION
       #include "bml_ssc.h"
       #define BML_NN_IMPLEMENTATION
       #include "bml_nn.h"
       #define BML_SED_IMPLEMENTATION
       #include "bml_sed.h"
       #include <stdio.h>

       int main(void) {
           bml_sed_table *data;
           bml_sed_surrogate *model;
           char why[BML_SED_MESSAGE];
           double row[6] = {16, -1, 3, 6, -3, 2.2}, delta = 30, ln_l;        // as bml_ssc_source_from_row has them
           bml_ssc_observer observer = {.redshift = 0.557};
           bml_sed_rows rows = {.row = row, .delta = &delta, .n = 1, .observer = &observer};

           if (bml_sed_read(&data, "examples/data/3hsp_j095507.csv", NULL, why) ||
               bml_sed_surrogate_load(&model, "examples/models/ssc.safetensors", why))
               return fprintf(stderr, "%s\n", why), 1;
           if (bml_sed_surrogate_log_likelihood(&ln_l, model, &rows, data->point, data->n, why))
               return fprintf(stderr, "%s\n", why), 1;
           printf("ln L = %.3f\n", ln_l);
           bml_sed_surrogate_free(model);
           bml_sed_free(data);
           return 0;
       }

   It refuses: tables that sed.h or ebl.h refuse; model files that are not train_surrogate's; frequencies above the end
   of a table of the background light. Rows outside a network's domain have no flux (NaN) and no likelihood
   (-infinity). */
#ifndef BML_SED_H
#define BML_SED_H
#define BML_SED_VERSION 200 /* 0.2.0: 10000 major + 100 minor + patch */

/* ---- Setup, use, shutdown ---------------------------------------------------------------------------------------

   1. bml_sed_read(&table, path, &options, why): points, instruments, redshift and notes are members of the table.
   2. bml_sed_ebl_read(&ebl, "dominguez2011", why); observer.ebl = bml_sed_ebl_depths(ebl).
   3. Likelihoods of SEDs that any model gave, of many at once: bml_sed_log_likelihood.
      Of rows of parameters by the network: bml_sed_surrogate_load, _fluxes, _log_likelihood.
   4. bml_sed_free, bml_sed_ebl_free, bml_sed_surrogate_free.

   ---- Options ----------------------------------------------------------------------------------------------------

   BML_SED_IMPLEMENTATION, BML_SED_STATIC, BML_SED_IMPLEMENTED    as in bml_ssc.h
   -fopenmp            threads over rows; results do not depend on how many
   Memory comes from the C library. POSIX: sed.h and ebl.h read files through common.h. */

#include "bml_ssc.h"

#if defined(BML_SED_STATIC) && (defined(__GNUC__) || defined(__clang__))
#define BML_SED_DEF __attribute__((unused)) static
#elif defined(BML_SED_STATIC)
#define BML_SED_DEF static
#else
#define BML_SED_DEF extern
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- API: statuses ----------------------------------------------------------------------------------------------- */

#define BML_SED_STATUS_TABLE(X)                                         \
    X(OK, 0, "no error")                                                \
    X(BAD_ARGUMENT, -1, "a pointer is NULL or a count is not positive") \
    X(NO_MEMORY, -2, "out of memory")                                   \
    X(BAD_FILE, -4, "a file cannot be read, or is not what it must be") \
    X(OBSERVER, -5, "redshift, distance or background light")           \
    X(POINT, -6, "a data point is not positive and finite, or has no error")

typedef enum bml_sed_status {
#define BML_SED_X(name, value, text) BML_SED_##name = (value),
    BML_SED_STATUS_TABLE(BML_SED_X)
#undef BML_SED_X
        BML_SED_STATUS_END = 1
} bml_sed_status;

enum { BML_SED_MESSAGE = 512 }; /* bytes of a message, NUL included */

/* The message of a status; never NULL. Thread safe. */
BML_SED_DEF const char *bml_sed_strerror(int status);

/* ---- API: tables ------------------------------------------------------------------------------------------------- */

enum { BML_SED_INSTRUMENT = 32 }; /* characters of a name */
enum { BML_SED_SOURCE = 64 };
enum { BML_SED_NOTES = 16 };
enum { BML_SED_NOTE = 240 }; /* characters */

/* How to read; NULL or zeros: the defaults. sed.h says more of each, and of the formats. */
typedef struct bml_sed_options {
    double confidence;       /* one-sided, of limits without their own; 0: 0.95 */
    double error_floor;      /* [dex] smaller, zero and missing errors become this; 0: zero errors are refused */
    double nu_min, nu_max;   /* [Hz] points outside are left out; 0: no end */
    double redshift;         /* for source_frame; 0: as the table says */
    int source_frame;        /* 1: frequencies, and luminosities if they are, are the source's */
    const char *columns;     /* names of the columns, commas between; NULL: as the table says */
    const char *source;      /* take the lines of this source only; NULL: all */
    const char *const *skip; /* [n_skip] instruments to leave out */
    int n_skip;
    int unchecked; /* 1: do not refuse what only looks wrong */
} bml_sed_options;

typedef struct bml_sed_table {
    const bml_ssc_point *point;                   /* [n], nu ascending, in the observer's frame */
    const char (*instrument)[BML_SED_INSTRUMENT]; /* [n], empty where the table names none */
    const double (*bin)[2];                       /* [n][2] ends of the energy bin [Hz]; both nu where there is none */
    int n;
    double redshift;             /* NaN if the file has none */
    char source[BML_SED_SOURCE]; /* empty if the file has none */
    int n_notes;
    char note[BML_SED_NOTES][BML_SED_NOTE]; /* what was dropped, assumed, or looks wrong: a sentence each */
} bml_sed_table;

/* Read a table of any of the formats of sed.h. *table is freed by bml_sed_free, and is NULL on error. why
   [BML_SED_MESSAGE], or NULL: "FILE:LINE: what is wrong", "" after success. BAD_ARGUMENT, BAD_FILE, NO_MEMORY. */
BML_SED_DEF int bml_sed_read(bml_sed_table **table, const char *path, const bml_sed_options *options, char *why);
/* The same from text[size]; name stands for the file in messages. */
BML_SED_DEF int bml_sed_parse(bml_sed_table **table, const char *text, size_t size, const char *name,
                              const bml_sed_options *options, char *why);
BML_SED_DEF void bml_sed_free(bml_sed_table *table); /* NULL is fine */

/* ---- API: the background light ----------------------------------------------------------------------------------- */

typedef struct bml_sed_ebl bml_sed_ebl;

/* Read a table of optical depths: a file of the formats of ebl.h, or the name of one that is shipped
   ("dominguez2011"), in $BML_EBL, beside the program, or in examples/data. *ebl and why as above. BAD_ARGUMENT,
   BAD_FILE, NO_MEMORY. */
BML_SED_DEF int bml_sed_ebl_read(bml_sed_ebl **ebl, const char *name, char *why);
BML_SED_DEF void bml_sed_ebl_free(bml_sed_ebl *ebl); /* NULL is fine */
/* What an observer takes; lives as long as ebl. */
BML_SED_DEF const bml_ssc_ebl *bml_sed_ebl_depths(const bml_sed_ebl *ebl);

/* ---- API: priors ------------------------------------------------------------------------------------------------- */

/* A line of a prior file: what bml_mcmc_prior_param takes. */
typedef struct bml_sed_prior_row {
    const char *name;
    int kind;              /* BML_MCMC_UNIFORM, _LOG_UNIFORM, _NORMAL, _TABLE */
    double lower, upper;   /* both zero: no limits (normal) */
    double mean, sd;       /* normal */
    const double *x;       /* [n] of a table */
    const double *density; /* [n] */
    int n;
} bml_sed_prior_row;

typedef struct bml_sed_prior {
    const bml_sed_prior_row *row; /* [n] in the order of the file */
    int n;
} bml_sed_prior;

/* Read a prior file as fit_sed and fit_xray do: lines name,kind,a,b with kind uniform, loguniform (ends), normal (mean,
   sd), truncnormal (mean, sd, ends), table (a file of lines x,density). *prior and why as above. BAD_ARGUMENT, BAD_FILE,
   NO_MEMORY. */
BML_SED_DEF int bml_sed_prior_read(bml_sed_prior **prior, const char *path, char *why);
BML_SED_DEF void bml_sed_prior_free(bml_sed_prior *prior); /* NULL is fine */

/* ---- API: likelihoods -------------------------------------------------------------------------------------------- */

/* ln_l [n] of n SEDs nuFnu [n][n_points] at the frequencies of point [n_points], by bml_ssc_log_likelihood. ln_f [n],
   or NULL: none. A SED that holds a NaN has -infinity. BAD_ARGUMENT, POINT. Thread safe. */
BML_SED_DEF int bml_sed_log_likelihood(double *ln_l, const double *nuFnu, int n, const bml_ssc_point *point,
                                       int n_points, const double *ln_f);

/* ---- API: a network for the solver ------------------------------------------------------------------------------- */

typedef struct bml_sed_surrogate bml_sed_surrogate;

typedef struct bml_sed_surrogate_info {
    int grid;            /* BML_SSC_CONVERGED, BML_SSC_ATHENA */
    int self_absorption; /* of the sources that it was trained on */
    int pair_production; /* likewise */
    double lo[6], hi[6]; /* its domain: lo <= row <= hi, and log gamma_max - log gamma_min >= */
    double span;         /* this [dex]; gamma_max is confined by the blob, too */
    size_t n_params;     /* weights of the network */
} bml_sed_surrogate_info;

/* Read a network of train_surrogate. *s and why as above. BAD_ARGUMENT, BAD_FILE, NO_MEMORY. */
BML_SED_DEF int bml_sed_surrogate_load(bml_sed_surrogate **s, const char *path, char *why);
BML_SED_DEF void bml_sed_surrogate_free(bml_sed_surrogate *s); /* NULL is fine */
/* BAD_ARGUMENT. */
BML_SED_DEF int bml_sed_surrogate_get_info(bml_sed_surrogate_info *info, const bml_sed_surrogate *s);
/* Its rms error [dex] on spectra that it was not trained on, at log10 x; NaN without s. */
BML_SED_DEF double bml_sed_surrogate_error(const bml_sed_surrogate *s, double log10_x);
/* NULL, or the member of row [6] that is outside the domain. */
BML_SED_DEF const char *bml_sed_surrogate_outside(const bml_sed_surrogate *s, const double *row);

/* Sources, as rows of bml_ssc_source_from_row. */
typedef struct bml_sed_rows {
    const double *row;   /* [n][6] log10 R [cm], log10 B [G], log10 gamma_min, log10 gamma_max, log10 l_e, p */
    const double *delta; /* [n] Doppler factors > 0 */
    const double *ln_f;  /* [n] ln of a systematic scatter [dex]; NULL: none. For likelihoods */
    int n;
    int threads;                      /* 0 = all that OpenMP offers */
    int own_error;                    /* likelihoods: 1: the network's own error joins the quoted ones */
    const bml_ssc_observer *observer; /* of all of them; its delta is left alone. For fluxes and likelihoods */
} bml_sed_rows;

/* y [n][500]: log10(x^2 n) in the blob at log10 x = -15 ... 10, -30 where there is nothing, as ssc_sed writes it. Rows
   outside the domain are NaN. why as above. BAD_ARGUMENT, NO_MEMORY. All three calls are thread safe on a const s. */
enum { BML_SED_SPECTRUM = 500 };
BML_SED_DEF int bml_sed_surrogate_spectra(float *y, const bml_sed_surrogate *s, const bml_sed_rows *rows, char *why);
/* nuFnu [n][n_nu] [erg cm^-2 s^-1] at the observer's nu [n_nu] [Hz]. Rows outside the domain are NaN. BAD_ARGUMENT,
   OBSERVER, NO_MEMORY. */
BML_SED_DEF int bml_sed_surrogate_fluxes(double *nuFnu, const bml_sed_surrogate *s, const bml_sed_rows *rows,
                                         const double *nu, int n_nu, char *why);
/* ln_l [n] for point [n_points], as bml_ssc_log_likelihood has it; -infinity outside the domain. BAD_ARGUMENT,
   OBSERVER, POINT, NO_MEMORY. */
BML_SED_DEF int bml_sed_surrogate_log_likelihood(double *ln_l, const bml_sed_surrogate *s, const bml_sed_rows *rows,
                                                 const bml_ssc_point *point, int n_points, char *why);
/* The same, and gradient [n][8] of it: by the six columns of a row, by log10 delta, by ln_f (0 without); zero outside
   the domain. With own_error the network's own error is taken as it is there: how it changes with delta is left out. */
enum { BML_SED_GRADIENT = 8 };
BML_SED_DEF int bml_sed_surrogate_gradient(double *ln_l, double *gradient, const bml_sed_surrogate *s,
                                           const bml_sed_rows *rows, const bml_ssc_point *point, int n_points,
                                           char *why);

#ifdef __cplusplus
}
#endif

/* ---- end of API -------------------------------------------------------------------------------------------------- */

#if defined(BML_SED_IMPLEMENTATION) && !defined(BML_SED_IMPLEMENTED)
#define BML_SED_IMPLEMENTED

/* Contents: search for ">> name".
     >> status           statuses, reasons
     >> tables           sed.h's table as a constant one
     >> background light ebl.h's table
     >> priors           common.h's prior file
     >> likelihoods      of many SEDs
     >> network          blocks of rows through surrogate.h */

#include "common.h"
#include "bml_nn.h"
#include "sed.h"
#include "ebl.h"
#include "surrogate.h"

/* >> status
   The readers say what is wrong as text; which status that is follows from the text, as only memory is another
   matter. */

static const char *const bml_sed__texts[] = {
#define BML_SED_X(name, value, text) text,
    BML_SED_STATUS_TABLE(BML_SED_X)
#undef BML_SED_X
};
static const int bml_sed__values[] = {
#define BML_SED_X(name, value, text) value,
    BML_SED_STATUS_TABLE(BML_SED_X)
#undef BML_SED_X
};

BML_SED_DEF const char *bml_sed_strerror(int status) {
    for (size_t i = 0; i < sizeof bml_sed__values / sizeof *bml_sed__values; i++)
        if (bml_sed__values[i] == status) return bml_sed__texts[i];
    return "unknown status";
}

/* Puts the text of a failure into why, unless that is NULL. */
static int bml_sed__fail(int status, char *why, const char *text) {
    if (why) snprintf(why, BML_SED_MESSAGE, "%s", text);
    return status;
}

static int bml_sed__fail_reading(char *why, const char *text) {
    return bml_sed__fail(strstr(text, "out of memory") ? BML_SED_NO_MEMORY : BML_SED_BAD_FILE, why, text);
}

/* >> tables
   One block holds the public table and, behind it, the one that sed.h made. */

typedef struct bml_sed__table {
    bml_sed_table seen;
    sed_table own;
} bml_sed__table;

static sed_options bml_sed__options(const bml_sed_options *o) {
    sed_options how = {.confidence = 0};
    if (!o) return how;
    how.confidence = o->confidence;
    how.error_floor = o->error_floor;
    how.nu_min = o->nu_min;
    how.nu_max = o->nu_max;
    how.redshift = o->redshift;
    how.frame = o->source_frame ? SED_FRAME_SOURCE : SED_FRAME_OBSERVER;
    how.columns = o->columns;
    how.source = o->source;
    how.skip = o->skip;
    how.n_skip = o->n_skip;
    how.unchecked = o->unchecked;
    return how;
}

/* What the caller sees of the table that was read. */
static void bml_sed__show(bml_sed__table *t) {
    t->seen.point = t->own.point;
    t->seen.instrument = (const char(*)[BML_SED_INSTRUMENT])t->own.instrument;
    t->seen.bin = (const double(*)[2])t->own.bin;
    t->seen.n = t->own.n;
    t->seen.redshift = t->own.redshift;
    memcpy(t->seen.source, t->own.source, sizeof t->seen.source);
    t->seen.n_notes = t->own.n_notes;
    memcpy(t->seen.note, t->own.note, sizeof t->seen.note);
}

/* text NULL: from the file `name`. */
static int bml_sed__read(bml_sed_table **table, const char *text, size_t size, const char *name,
                         const bml_sed_options *options, char *why) {
    char err[ERROR_SIZE];
    if (why) why[0] = 0;
    if (table) *table = NULL;
    const int skips = options ? options->n_skip : 0;
    const int bad_skip = skips < 0 || (skips && !options->skip);
    if (!table || !name || bad_skip)
        return bml_sed__fail(BML_SED_BAD_ARGUMENT, why, "bml_sed_read: table or path is NULL, or n_skip does not fit");
    bml_sed__table *t = calloc(1, sizeof *t);
    if (!t) return bml_sed__fail(BML_SED_NO_MEMORY, why, "out of memory");
    const sed_options how = bml_sed__options(options);
    int status;
    if (text)
        status = sed_read_memory(&t->own, text, size, name, &how, err);
    else
        status = sed_read(&t->own, name, &how, err);
    if (status) {
        free(t);
        return bml_sed__fail_reading(why, err);
    }
    bml_sed__show(t);
    *table = &t->seen;
    return BML_SED_OK;
}

BML_SED_DEF int bml_sed_read(bml_sed_table **table, const char *path, const bml_sed_options *options, char *why) {
    return bml_sed__read(table, NULL, 0, path, options, why);
}

BML_SED_DEF int bml_sed_parse(bml_sed_table **table, const char *text, size_t size, const char *name,
                              const bml_sed_options *options, char *why) {
    if (!name) name = "text";
    if (!text) return bml_sed__read(table, "", 0, name, options, why);
    return bml_sed__read(table, text, size, name, options, why);
}

BML_SED_DEF void bml_sed_free(bml_sed_table *table) {
    bml_sed__table *t = (bml_sed__table *)table; /* seen stands first */
    if (!t) return;
    sed_free(&t->own);
    free(t);
}

/* >> background light */

struct bml_sed_ebl {
    ebl_table own;
};

BML_SED_DEF int bml_sed_ebl_read(bml_sed_ebl **ebl, const char *name, char *why) {
    char err[ERROR_SIZE];
    char path[PATH_SIZE];
    if (why) why[0] = 0;
    if (ebl) *ebl = NULL;
    if (!ebl || !name) return bml_sed__fail(BML_SED_BAD_ARGUMENT, why, "bml_sed_ebl_read: ebl or name is NULL");
    bml_sed_ebl *e = calloc(1, sizeof *e);
    if (!e) return bml_sed__fail(BML_SED_NO_MEMORY, why, "out of memory");
    int status = ebl_find(path, sizeof path, name, err);
    if (!status) status = ebl_read(&e->own, path, err);
    if (status) {
        free(e);
        return bml_sed__fail_reading(why, err);
    }
    *ebl = e;
    return BML_SED_OK;
}

BML_SED_DEF void bml_sed_ebl_free(bml_sed_ebl *ebl) {
    if (!ebl) return;
    ebl_free(&ebl->own);
    free(ebl);
}

BML_SED_DEF const bml_ssc_ebl *bml_sed_ebl_depths(const bml_sed_ebl *ebl) {
    return ebl ? &ebl->own.tau : NULL;
}

/* >> priors */

typedef struct bml_sed__prior {
    bml_sed_prior seen;
    bml_sed_prior_row row[PRIOR_MAX];
    prior_file own;
} bml_sed__prior;

BML_SED_DEF int bml_sed_prior_read(bml_sed_prior **prior, const char *path, char *why) {
    char err[ERROR_SIZE];
    if (why) why[0] = 0;
    if (prior) *prior = NULL;
    if (!prior || !path) return bml_sed__fail(BML_SED_BAD_ARGUMENT, why, "bml_sed_prior_read: prior or path is NULL");
    bml_sed__prior *p = calloc(1, sizeof *p);
    if (!p) return bml_sed__fail(BML_SED_NO_MEMORY, why, "out of memory");
    if (prior_read(&p->own, path, err)) {
        prior_free(&p->own);
        free(p);
        return bml_sed__fail_reading(why, err);
    }
    for (int i = 0; i < p->own.n; i++) {
        const prior_row *from = &p->own.row[i];
        bml_sed_prior_row *to = &p->row[i];
        to->name = from->name;
        to->kind = from->kind;
        to->lower = from->lower;
        to->upper = from->upper;
        to->mean = from->mean;
        to->sd = from->sd;
        to->x = from->x;
        to->density = from->density;
        to->n = from->n;
    }
    p->seen.row = p->row;
    p->seen.n = p->own.n;
    *prior = &p->seen;
    return BML_SED_OK;
}

BML_SED_DEF void bml_sed_prior_free(bml_sed_prior *prior) {
    bml_sed__prior *p = (bml_sed__prior *)prior; /* seen stands first */
    if (!p) return;
    prior_free(&p->own);
    free(p);
}

/* >> likelihoods */

BML_SED_DEF int bml_sed_log_likelihood(double *ln_l, const double *nuFnu, int n, const bml_ssc_point *point,
                                       int n_points, const double *ln_f) {
    if (!ln_l || !nuFnu || !point || n < 0 || n_points < 1) return BML_SED_BAD_ARGUMENT;
    for (int i = 0; i < n; i++) {
        const double scatter = ln_f ? ln_f[i] : -HUGE_VAL;
        const double *flux = nuFnu + (ptrdiff_t)i * n_points;
        const int status = bml_ssc_log_likelihood(&ln_l[i], flux, point, n_points, scatter);
        if (status == BML_SSC_POINT || status == BML_SSC_BAD_ARGUMENT) return BML_SED_POINT;
        if (status) ln_l[i] = -HUGE_VAL; /* a model that is NaN */
    }
    return BML_SED_OK;
}

/* >> network
   Rows go through the network in blocks: few enough that their layers stay in cache, enough to pay for reading the
   weights. A row outside the domain goes along as a harmless one, and its answer is not used. */

enum { BML_SED__BLOCK = 24 };

struct bml_sed_surrogate {
    surrogate own;
};

BML_SED_DEF int bml_sed_surrogate_load(bml_sed_surrogate **s, const char *path, char *why) {
    char err[ERROR_SIZE];
    if (why) why[0] = 0;
    if (s) *s = NULL;
    if (!s || !path) return bml_sed__fail(BML_SED_BAD_ARGUMENT, why, "bml_sed_surrogate_load: s or path is NULL");
    bml_sed_surrogate *made = calloc(1, sizeof *made);
    if (!made) return bml_sed__fail(BML_SED_NO_MEMORY, why, "out of memory");
    if (surrogate_load(&made->own, path, err)) {
        free(made);
        return bml_sed__fail_reading(why, err);
    }
    *s = made;
    return BML_SED_OK;
}

BML_SED_DEF void bml_sed_surrogate_free(bml_sed_surrogate *s) {
    if (!s) return;
    surrogate_free(&s->own);
    free(s);
}

BML_SED_DEF int bml_sed_surrogate_get_info(bml_sed_surrogate_info *info, const bml_sed_surrogate *s) {
    if (!info || !s) return BML_SED_BAD_ARGUMENT;
    info->grid = s->own.grid;
    info->self_absorption = s->own.self_absorption;
    info->pair_production = s->own.pair_production;
    memcpy(info->lo, s->own.domain.lo, sizeof info->lo);
    memcpy(info->hi, s->own.domain.hi, sizeof info->hi);
    info->span = s->own.domain.span;
    info->n_params = bml_nn_n_params(s->own.net);
    return BML_SED_OK;
}

BML_SED_DEF double bml_sed_surrogate_error(const bml_sed_surrogate *s, double log10_x) {
    return s ? surrogate_error_at(&s->own, log10_x) : (double)NAN;
}

BML_SED_DEF const char *bml_sed_surrogate_outside(const bml_sed_surrogate *s, const double *row) {
    return s && row ? surrogate_outside(&s->own.domain, row) : "row";
}

/* What all rows of a call share: where the observer stands. */
typedef struct bml_sed__view {
    double *log10_x; /* [n] of the observer's frequencies, in the blob, for delta = 1 */
    double *fade;    /* [n] log10 of what the background light leaves */
    double area;     /* log10 of (nu F_nu)/(x^2 n R delta^4) */
    int n;
} bml_sed__view;

/* One thread's desk. */
typedef struct bml_sed__desk {
    bml_nn_work *work;
    surrogate_frame frame[BML_SED__BLOCK];
    float input[BML_SED__BLOCK * SURROGATE_INPUTS];
    int inside[BML_SED__BLOCK];
    float *node;   /* [BLOCK][n_out] */
    float *d_node; /* [BLOCK][n_out], d_input: derivatives of ln_l by node and input, for gradients */
    float d_input[BML_SED__BLOCK * SURROGATE_INPUTS];
    double *flux;         /* [n points] */
    bml_ssc_point *point; /* [n points] with the network's own error */
} bml_sed__desk;

/* One call: exactly one of spectra, fluxes and ln_l is not NULL; gradient goes with ln_l. */
typedef struct bml_sed__job {
    const surrogate *s;
    const bml_sed_rows *rows;
    bml_sed__view view;
    const bml_ssc_point *point; /* [view.n] */
    float *spectra;
    double *fluxes;
    double *ln_l;
    double *gradient;
} bml_sed__job;

static const double *bml_sed__row(const bml_sed__job *job, int row) {
    return job->rows->row + (ptrdiff_t)row * SSC_ROW;
}

static double bml_sed__scatter(const bml_sed__job *job, int row) {
    const double *ln_f = job->rows->ln_f;
    return ln_f ? ln_f[row] : -HUGE_VAL;
}

/* Where the nodes of a block's row i begin. */
static ptrdiff_t bml_sed__node(const surrogate *s, int i) {
    return (ptrdiff_t)i * (ptrdiff_t)bml_nn_n_out(s->net);
}

/* Where its inputs begin. */
static ptrdiff_t bml_sed__input(const surrogate *s, int i) {
    return (ptrdiff_t)i * (ptrdiff_t)bml_nn_n_in(s->net);
}

static void bml_sed__view_free(bml_sed__view *v) {
    free(v->log10_x);
    v->log10_x = NULL;
    v->fade = NULL;
}

/* (12) and (13) of bml_ssc.h. nu [n], `stride` doubles from one to the next. */
static int bml_sed__view_make(bml_sed__view *v, const bml_ssc_observer *o, const double *nu, int stride, int n,
                              char *why) {
    const double h_over_mc2 = 6.62607015e-27 / 8.1871057769e-7;
    const double mc3_over_3_sigma_T = 8.1871057769e-7 * 2.99792458e10 / (3 * 6.6524587321e-25);
    const double H0 = o->H0 > 0 ? o->H0 : 70;
    const double omega_m = o->omega_m > 0 ? o->omega_m : 0.3;
    double distance = o->distance;
    if (!(distance > 0)) distance = bml_ssc_luminosity_distance(o->redshift, H0, omega_m);
    if (!(distance > 0 && o->redshift >= 0 && distance < HUGE_VAL))
        return bml_sed__fail(BML_SED_OBSERVER, why, "the observer needs redshift > 0, or a distance");
    v->n = n;
    v->area = log10(mc3_over_3_sigma_T) - 2 * log10(distance);
    v->log10_x = malloc((size_t)n * 2 * sizeof *v->log10_x);
    if (!v->log10_x) return bml_sed__fail(BML_SED_NO_MEMORY, why, "out of memory");
    v->fade = v->log10_x + n;
    for (int i = 0; i < n; i++) {
        const double at = nu[(ptrdiff_t)i * stride];
        double tau = 0;
        const int known = !o->ebl || !bml_ssc_ebl_depth(&tau, o->ebl, o->redshift, at);
        if (at > 0 && at < HUGE_VAL && known) {
            v->log10_x[i] = log10(at * (1 + o->redshift) * h_over_mc2);
            v->fade[i] = -0.43429448190325183 * tau;
            continue;
        }
        char text[BML_SED_MESSAGE];
        const char *wrong = known ? "must be positive and finite" : bml_ssc_strerror(BML_SSC_OUTSIDE_TABLE);
        snprintf(text, sizeof text, "nu[%d] = %g Hz: %s", i, at, wrong);
        bml_sed__view_free(v);
        return bml_sed__fail(known ? BML_SED_BAD_ARGUMENT : BML_SED_OBSERVER, why, text);
    }
    return BML_SED_OK;
}

/* surrogate_spectrum, or NaN. */
static void bml_sed__spectrum(float *y, const surrogate *s, const bml_sed__desk *k, int i) {
    if (k->inside[i]) {
        surrogate_spectrum(y, s, &k->frame[i], k->node + bml_sed__node(s, i));
        return;
    }
    for (int j = 0; j < SURROGATE_GRID; j++)
        y[j] = (float)NAN;
}

/* flux [view.n] of row `from + i`. */
static void bml_sed__flux(double *flux, const bml_sed__job *job, const bml_sed__desk *k, int from, int i) {
    const bml_sed__view *v = &job->view;
    const double *row = bml_sed__row(job, from + i);
    const double log_delta = log10(job->rows->delta[from + i]);
    const float *node = k->node + bml_sed__node(job->s, i);
    const double scale = v->area + row[0] + 4 * log_delta;
    for (int j = 0; j < v->n; j++) {
        const double log_x = v->log10_x[j] - log_delta;
        const double y = surrogate_at(job->s, &k->frame[i], node, log_x);
        flux[j] = (double)NAN;
        if (k->inside[i]) flux[j] = pow(10, v->fade[j] + scale + y);
    }
}

/* The data as the network should see them: its own error, at the energies it is asked for, joins the quoted ones. */
static const bml_ssc_point *bml_sed__points(const bml_sed__job *job, bml_sed__desk *k, double delta) {
    const double log_delta = log10(delta);
    if (!job->rows->own_error) return job->point;
    for (int j = 0; j < job->view.n; j++) {
        bml_ssc_point *d = &k->point[j];
        const double log_x = job->view.log10_x[j] - log_delta;
        const double e = surrogate_error_at(job->s, log_x);
        *d = job->point[j];
        if (d->upper_limit) {
            const double sigma = d->sigma_hi > 0 ? d->sigma_hi : d->nuFnu / 1.6448536269514722;
            d->sigma_hi = hypot(sigma, 2.302585092994046 * e * d->nuFnu);
        } else {
            d->sigma_lo = hypot(d->sigma_lo, e);
            d->sigma_hi = hypot(d->sigma_hi, e);
        }
    }
    return k->point;
}

/* The likelihood of row `from + i`; 1 where a data point is refused. */
static int bml_sed__row_likelihood(const bml_sed__job *job, bml_sed__desk *k, int from, int i) {
    const double delta = job->rows->delta[from + i];
    const double ln_f = bml_sed__scatter(job, from + i);
    double *ln_l = &job->ln_l[from + i];
    *ln_l = -HUGE_VAL;
    if (!k->inside[i]) return 0;
    bml_sed__flux(k->flux, job, k, from, i);
    const bml_ssc_point *point = bml_sed__points(job, k, delta);
    const int status = bml_ssc_log_likelihood(ln_l, k->flux, point, job->view.n, ln_f);
    if (status) *ln_l = -HUGE_VAL;
    return status == BML_SSC_POINT;
}

/* phi(t)/Phi(t), which is -t far below, of the normal distribution. */
static double bml_sed__mills(double t) {
    const double root_half_pi = 1.2533141373155003;
    const double root_2 = 1.4142135623730951;
    if (!(t > -30)) return -t;
    return exp(-0.5 * t * t) / (root_half_pi * erfc(-t / root_2));
}

/* d ln_l/d(log10 F) and d ln_l/d(ln f) of one point: the formula of bml_ssc_log_likelihood. */
static void bml_sed__slope(double *by_flux, double *by_ln_f, const bml_ssc_point *d, double flux, double ln_f) {
    const double ln_10 = 2.302585092994046;
    if (d->upper_limit) {
        const double sigma = d->sigma_hi > 0 ? d->sigma_hi : d->nuFnu / 1.6448536269514722;
        const double t = (d->nuFnu - flux) / sigma;
        *by_flux = -ln_10 * flux / sigma * bml_sed__mills(t);
        *by_ln_f = 0;
        return;
    }
    const double r = log10(flux / d->nuFnu);
    const double side = r > 0 ? d->sigma_hi : d->sigma_lo;
    const double f2 = exp(2 * ln_f);
    const double variance = side * side + f2;
    *by_flux = -r / variance;
    *by_ln_f = f2 * (r * r / variance - 1) / variance;
}

/* The gradient of row `from + i` after its likelihood, but for what goes through the network: that is left in d_node. */
static void bml_sed__row_gradient(const bml_sed__job *job, bml_sed__desk *k, int from, int i) {
    const double delta = job->rows->delta[from + i];
    const double log_delta = log10(delta);
    const double ln_f = bml_sed__scatter(job, from + i);
    const bml_ssc_point *point = bml_sed__points(job, k, delta);
    const float *node = k->node + bml_sed__node(job->s, i);
    float *d_node = k->d_node + bml_sed__node(job->s, i);
    double *g = job->gradient + (ptrdiff_t)(from + i) * BML_SED_GRADIENT;
    for (int j = 0; j < job->view.n; j++) {
        double by_flux;
        double by_ln_f;
        if (!(k->flux[j] > 0)) continue; /* a limit that nothing reaches */
        bml_sed__slope(&by_flux, &by_ln_f, &point[j], k->flux[j], ln_f);
        const double log_x = job->view.log10_x[j] - log_delta;
        const double by_x = surrogate_back(d_node, g, job->s, &k->frame[i], node, log_x, by_flux);
        g[0] += by_flux;
        g[SSC_ROW] += by_flux * (4 - by_x);
        g[SSC_ROW + 1] += by_ln_f;
    }
}

/* What goes through the network: n rows from `from` on. */
static int bml_sed__block_gradient(const bml_sed__job *job, bml_sed__desk *k, int from, int n) {
    const surrogate *s = job->s;
    const int status = bml_nn_vjp(s->net, k->work, k->d_input, NULL, k->d_node, k->input, (size_t)n);
    if (status) return BML_SED_NO_MEMORY;
    for (int i = 0; i < n; i++) {
        const float *d_input = k->d_input + bml_sed__input(s, i);
        double *g = job->gradient + (ptrdiff_t)(from + i) * BML_SED_GRADIENT;
        if (!k->inside[i]) continue;
        for (int j = 0; j < SSC_ROW; j++)
            g[j] += (double)d_input[j];
    }
    return BML_SED_OK;
}

/* The inputs of rows from ... from + n - 1. Where the network knows nothing it is asked for a source that it knows. */
static void bml_sed__place(bml_sed__job *job, bml_sed__desk *k, int from, int n) {
    static const double harmless[SSC_ROW] = {16, 0, 2, 6, -3, 2};
    const surrogate *s = job->s;
    for (int i = 0; i < n; i++) {
        const double *row = bml_sed__row(job, from + i);
        const double delta = job->spectra ? 1 : job->rows->delta[from + i];
        const int inside = !surrogate_outside(&s->domain, row) && delta > 0 && delta < HUGE_VAL;
        k->inside[i] = inside;
        if (!inside) row = harmless;
        surrogate_place(&k->frame[i], k->input + bml_sed__input(s, i), s->kind, s->grid, row);
    }
}

static void bml_sed__no_gradient(bml_sed__job *job, bml_sed__desk *k, int from, int n) {
    double *g = job->gradient + (ptrdiff_t)from * BML_SED_GRADIENT;
    const ptrdiff_t nodes = bml_sed__node(job->s, n);
    memset(k->d_node, 0, (size_t)nodes * sizeof *k->d_node);
    memset(g, 0, (size_t)n * BML_SED_GRADIENT * sizeof *g);
}

/* Rows from ... from + n - 1. */
static int bml_sed__block(bml_sed__job *job, bml_sed__desk *k, int from, int n) {
    const surrogate *s = job->s;
    bml_sed__place(job, k, from, n);
    if (bml_nn_predict(s->net, k->work, k->node, k->input, (size_t)n)) return BML_SED_NO_MEMORY;
    if (job->gradient) bml_sed__no_gradient(job, k, from, n);
    for (int i = 0; i < n; i++) {
        const ptrdiff_t row = from + i;
        if (job->spectra) bml_sed__spectrum(job->spectra + row * SURROGATE_GRID, s, k, i);
        if (job->fluxes) bml_sed__flux(job->fluxes + row * job->view.n, job, k, from, i);
        if (!job->ln_l) continue;
        if (bml_sed__row_likelihood(job, k, from, i)) return BML_SED_POINT;
        const int possible = job->ln_l[row] > -HUGE_VAL;
        if (job->gradient && possible) bml_sed__row_gradient(job, k, from, i);
    }
    return job->gradient ? bml_sed__block_gradient(job, k, from, n) : BML_SED_OK;
}

static void bml_sed__desk_free(bml_sed__desk *k) {
    if (!k) return;
    bml_nn_work_free(k->work);
    free(k->node);
    free(k->d_node);
    free(k->flux);
    free(k->point);
    free(k);
}

static bml_sed__desk *bml_sed__desk_create(const bml_sed__job *job) {
    const size_t nodes = BML_SED__BLOCK * bml_nn_n_out(job->s->net);
    const size_t n = (size_t)job->view.n + 1;
    bml_sed__desk *k = calloc(1, sizeof *k);
    if (!k) return NULL;
    k->node = malloc(nodes * sizeof *k->node);
    if (job->gradient) k->d_node = malloc(nodes * sizeof *k->d_node);
    k->flux = malloc(n * sizeof *k->flux);
    k->point = malloc(n * sizeof *k->point);
    int missing = bml_nn_work_create(&k->work, job->s->net, BML_SED__BLOCK, 1, NULL) != BML_NN_OK;
    missing |= !k->node || !k->flux || !k->point;
    missing |= job->gradient && !k->d_node;
    if (!missing) return k;
    bml_sed__desk_free(k);
    return NULL;
}

/* Threads over blocks, each with a desk of its own. */
static int bml_sed__run(bml_sed__job *job, char *why) {
    const int n = job->rows->n;
    const int blocks = (n + BML_SED__BLOCK - 1) / BML_SED__BLOCK;
    int failure = BML_SED_OK;
#ifdef _OPENMP
    const int asked = threads_or_all(job->rows->threads);
#pragma omp parallel num_threads(asked < blocks ? asked : blocks) if (blocks > 1 && asked > 1)
#endif
    {
        bml_sed__desk *k = bml_sed__desk_create(job);
#ifdef _OPENMP
#pragma omp for schedule(dynamic)
#endif
        for (int b = 0; b < blocks; b++) {
            const int from = b * BML_SED__BLOCK;
            const int rest = n - from;
            const int count = rest < BML_SED__BLOCK ? rest : BML_SED__BLOCK;
            const int status = k ? bml_sed__block(job, k, from, count) : BML_SED_NO_MEMORY;
            if (!status) continue;
#ifdef _OPENMP
#pragma omp critical(bml_sed__failure)
#endif
            failure = status;
        }
        bml_sed__desk_free(k);
    }
    return failure ? bml_sed__fail(failure, why, bml_sed_strerror(failure)) : BML_SED_OK;
}

static bml_sed__job bml_sed__job_of(const bml_sed_surrogate *s, const bml_sed_rows *rows) {
    bml_sed__job job = {0};
    job.s = &s->own;
    job.rows = rows;
    return job;
}

static int bml_sed__bad_rows(const bml_sed_surrogate *s, const bml_sed_rows *rows, int with_observer) {
    if (!s || !rows || !rows->row) return 1;
    if (rows->n < 0 || rows->threads < 0) return 1;
    if (!with_observer) return 0;
    return !rows->delta || !rows->observer;
}

BML_SED_DEF int bml_sed_surrogate_spectra(float *y, const bml_sed_surrogate *s, const bml_sed_rows *rows, char *why) {
    if (why) why[0] = 0;
    if (!y || bml_sed__bad_rows(s, rows, 0))
        return bml_sed__fail(BML_SED_BAD_ARGUMENT, why, "y, s or rows is missing, or n or threads is negative");
    bml_sed__job job = bml_sed__job_of(s, rows);
    job.spectra = y;
    return bml_sed__run(&job, why);
}

BML_SED_DEF int bml_sed_surrogate_fluxes(double *nuFnu, const bml_sed_surrogate *s, const bml_sed_rows *rows,
                                         const double *nu, int n_nu, char *why) {
    if (why) why[0] = 0;
    if (!nuFnu || !nu || n_nu < 1 || bml_sed__bad_rows(s, rows, 1))
        return bml_sed__fail(BML_SED_BAD_ARGUMENT, why, "nuFnu, nu, s, rows, delta or observer is missing");
    bml_sed__job job = bml_sed__job_of(s, rows);
    job.fluxes = nuFnu;
    int status = bml_sed__view_make(&job.view, rows->observer, nu, 1, n_nu, why);
    if (status) return status;
    status = bml_sed__run(&job, why);
    bml_sed__view_free(&job.view);
    return status;
}

/* The likelihood, and its gradient unless that is NULL. */
static int bml_sed__likelihoods(double *ln_l, double *gradient, const bml_sed_surrogate *s, const bml_sed_rows *rows,
                                const bml_ssc_point *point, int n_points, char *why) {
    const int stride = sizeof *point / sizeof point->nu;
    if (!ln_l || !point || n_points < 1 || bml_sed__bad_rows(s, rows, 1))
        return bml_sed__fail(BML_SED_BAD_ARGUMENT, why, "ln_l, point, s, rows, delta or observer is missing");
    for (int i = 0; i < n_points; i++) { /* before the network's error hides what is wrong with theirs */
        double any;
        char text[BML_SED_MESSAGE];
        const int status = bml_ssc_log_likelihood(&any, &point[i].nuFnu, &point[i], 1, -HUGE_VAL);
        if (status != BML_SSC_POINT) continue;
        snprintf(text, sizeof text, "point %d, at %g Hz: %s", i, point[i].nu, bml_sed_strerror(BML_SED_POINT));
        return bml_sed__fail(BML_SED_POINT, why, text);
    }
    bml_sed__job job = bml_sed__job_of(s, rows);
    job.point = point;
    job.ln_l = ln_l;
    job.gradient = gradient;
    int status = bml_sed__view_make(&job.view, rows->observer, &point->nu, stride, n_points, why);
    if (status) return status;
    status = bml_sed__run(&job, why);
    bml_sed__view_free(&job.view);
    return status;
}

BML_SED_DEF int bml_sed_surrogate_log_likelihood(double *ln_l, const bml_sed_surrogate *s, const bml_sed_rows *rows,
                                                 const bml_ssc_point *point, int n_points, char *why) {
    if (why) why[0] = 0;
    return bml_sed__likelihoods(ln_l, NULL, s, rows, point, n_points, why);
}

BML_SED_DEF int bml_sed_surrogate_gradient(double *ln_l, double *gradient, const bml_sed_surrogate *s,
                                           const bml_sed_rows *rows, const bml_ssc_point *point, int n_points,
                                           char *why) {
    if (why) why[0] = 0;
    if (!gradient) return bml_sed__fail(BML_SED_BAD_ARGUMENT, why, "gradient is missing");
    if (s && s->own.grid != BML_SSC_CONVERGED)
        return bml_sed__fail(BML_SED_BAD_ARGUMENT, why,
                             "a network of ATHEvA's grid moves in steps: there is no gradient");
    return bml_sed__likelihoods(ln_l, gradient, s, rows, point, n_points, why);
}

#endif /* BML_SED_IMPLEMENTATION */
#endif /* BML_SED_H */

/* 0.2.0  the first. Public domain or MIT, see LICENSE. */
