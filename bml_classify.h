/* bml_classify.h: which catalogue source is what, with honest uncertainties, in one file of C.

   Reads Fermi-LAT catalogues (or any table), makes features, trains classifiers (logistic regression, kernels, forest,
   boosted trees, and the networks of bml_nn.h), calibrates their probabilities, and measures what they are worth.

   In ONE source file:           #define BML_CLASSIFY_IMPLEMENTATION
                                 #include "bml_classify.h"
   everywhere else just:         #include "bml_classify.h"      and link with -lm

   A complete program: the cross-validated AUC of a forest on a CSV table whose column "class" holds two labels:

       #include <stdio.h>
       #define BML_CLASSIFY_IMPLEMENTATION
       #include "bml_classify.h"
       int main(void) {
           bml_classify_config config = { .model = BML_CLASSIFY_FOREST };
           bml_classify_table *table = NULL;
           bml_classify_data *data = NULL;
           bml_classify_scores s;
           char why[BML_CLASSIFY_MESSAGE];
           int status = bml_classify_table_read(&table, "my.csv", why);
           if (!status) status = bml_classify_data_from_table(&data, table, "class", why);
           if (!status) {
               status = bml_classify_cross_validate(&s, NULL, &config, data, 5, why);
           }
           if (status) printf("%s: %s\n", bml_classify_strerror(status), why);
           else printf("AUC %.4f +- %.4f\n", s.auc, s.auc_error);
           bml_classify_data_free(data);
           bml_classify_table_free(table);
           return status != 0;
       }

   It refuses: tables with a damaged cell, a number beyond 1e100, or a source twice (the message names row and column);
   sets of one class, or with fewer rows of a class than folds; columns that hold nothing.
   It never lets a test row touch the training: scaling, augmentation and calibration are learned inside
   bml_classify_fit from the rows given to it, and from no others. Link with -lm. Reads files, writes none; no globals,
   no clock. */

/* ---- Setup, use, shutdown ------------------------------------------------------------------------------------------

   1. bml_classify_table_read(&table, path, why): CSV, or FITS when compiled with cfitsio.
   2. bml_classify_catalog_create(&catalog, table, why) for a Fermi-LAT catalogue; catalog->report says what was found
      of NaN, infinities, zeros and upper limits, catalog->warning which classes are unknown here.
      bml_classify_match_pulsars(...) tells young from millisecond pulsars where CLASS1 does not.
      bml_classify_data_from_catalog(&data, catalog, &features, why): the rows of one task, with their features;
      bml_classify_join and bml_classify_data_join add the columns of another table to them.
      For any other table: bml_classify_data_from_table(&data, table, "class", why), or fill in a bml_classify_data.
   3. bml_classify_split(...) for 70/30, bml_classify_folds(...) for k folds: stratified, by seed.
   4. bml_classify_fit(&model, &config, data, rows, n_rows, why) on the training rows; zero members of the config mean
      the defaults beside them. bml_classify_predict(p, sd, model, data, rows, n) for probabilities.
   5. bml_classify_score(&s, p, labels, NULL, n, n_class) for everything that is usually quoted, or the single metrics;
      bml_classify_threshold for a stated purity or completeness.
   6. bml_classify_model_free, bml_classify_data_free, bml_classify_catalog_free, bml_classify_table_free.

   Every function that makes something takes `why`, [BML_CLASSIFY_MESSAGE] or NULL: on failure the reason (file and
   line, row and column, a name), "" otherwise. What it was to make is then NULL, and nothing is to be freed. Objects
   are independent of each other; a const object may serve many threads.

   ---- Options -------------------------------------------------------------------------------------------------------

   BML_CLASSIFY_IMPLEMENTATION    this file gives the functions, not only their declarations. With bml_nn.h beside it
                                  and nobody else giving its functions, these are compiled too, as weak symbols: another
                                  file that has BML_NN_IMPLEMENTATION wins, and whether bml_nn.h is included before,
                                  after, or not at all makes no difference. (Compilers without weak symbols, and those
                                  without __has_include that are to know of bml_nn.h: include it before this one, and
                                  define BML_NN_IMPLEMENTATION in one file)
   BML_CLASSIFY_IMPLEMENTED       defined where the functions exist already; define it yourself
                                  (-DBML_CLASSIFY_IMPLEMENTED) when you link them from a library
   BML_CLASSIFY_STATIC            all functions static (define with BML_CLASSIFY_IMPLEMENTATION); those that are not
                                  called are then not compiled: at -O3 hello_classify without networks takes 0.7 of
                                  the time
   BML_CLASSIFY_USE_CFITSIO read FITS files through cfitsio (link with -lcfitsio), which is not proof against forged
                                  headers: files of known origin only
   BML_CLASSIFY_USE_ZLIB          read .gz files through zlib (link with -lz); FITS files through cfitsio need it not
   BML_CLASSIFY_NO_NN             without bml_nn.h, as when it is not beside this file: the networks are refused with
                                  BML_CLASSIFY_NO_NETWORKS
   BML_CLASSIFY_MALLOC(n), BML_CLASSIFY_FREE(p)     both or none; default: C library

   It needs doubles that are doubles: -ffast-math and the like stop with an #error, as does excess precision.

   ---- Methods -------------------------------------------------------------------------------------------------------

   Rules for values. A flux that is NaN or infinite is missing. Zeros, negative values and upper limits (lower error
   NaN) are kept as they stand in the catalogue: a best fit of 1e-17 is what a band with no signal gives. All are
   counted in the report. A missing feature takes the training mean of its column. A number beyond 1e100 is no
   measurement and is refused.

   Classes. A class of CLASS1 that this header does not know counts as `other`, and catalog->warning says so. Where some
   source is called msp, those called psr are young.

   Features. raw: fluxes as they stand. log: log10 of max(f, 0.1 m), m the median upper error of that band (of all years
   together) in the catalogue: below a tenth of the error, differences are numerical noise. derived: differences of the
   log features of neighbouring bands (slopes) and of those (curvatures); log of the summed and of the mean yearly flux;
   log relative scatter, log(1 + chi2) about the mean with the upper errors, log highest/mean, log lowest/mean, scatter
   of the logs, and mean absolute step from year to year. With them fit: slope and curvature, b and c, of the spectrum
   exp(a + b u + c u^2), u = -1 to 1 over the bands, of least chi2 with the upper errors (a missing error counts as the
   band's median; priors of mean 0 and sd 20 for b, 4 for c), and gain, log(1 + the chi2 that c saves). errors: log10
   of upper errors and of flux/error. sqrt_ts: log10(1 + sqrt TS); both where the file has them. catalog: what the
   catalogue's own fits say, as far as its columns are there: indices and curvatures of its spectra, and log10 of
   significances, pivot energy, integral fluxes and variability index. latitude: |b|, or b. A class that depends on
   latitude is learned too, and is then a prior of the survey, not of the source: leave latitude out when the verdicts'
   own distribution in latitude is to mean anything.

   Scaling. (x - mean)/sd over the training rows; a constant column becomes 0.
   SMOTE. New rows of a class at a + u (b - a), a a row, b one of its 5 nearest of that class (standardised, Euclidean),
   u uniform (Chawla et al. 2002, JAIR 16, 321, section 4.2). It is done to the training rows within the fit.
   Logistic regression. Maximum of sum w log p - l2/2 |beta|^2, the constant free, by Newton's method (Hastie,
   Tibshirani & Friedman 2009, ESL, section 4.4.1); sd by the inverse Hessian.
   Kernel. The same with f(x) = constant + sum_i a_i k(x, c_i) in place of a linear function, k(x, c) = 1/(1 + |x - c|^2
   /(2 d s^2)), d the number of features, s `scale`: the rational quadratic kernel of Rasmussen & Williams 2006, GPML,
   eq. 4.19, alpha = 1. The penalty is l2/2 a'K a, K = k(c_i, c_j): f is then the most probable function of a Gaussian
   process of variance 1/l2 (their section 3.4), and sd the width of its posterior by Laplace's method. The centres c
   are training rows, all of them or as many as `centres` drawn at random (Williams & Seeger 2001, NIPS 13, 682).
   Trees. Columns are cut at up to 63 quantiles of the training rows; a split maximises sum_k G_k^2/(H_k + l2) over the
   two sides, a leaf answers -G/(H + l2), G and H the sums of gradient and curvature of the loss (Chen & Guestrin 2016,
   KDD'16, eq. 5-7). Boosting: softmax log loss, learning rate, rows and columns drawn per tree (Friedman 2001, Ann.
   Stat. 29, 1189; 2002). Forest: squared loss of the one-hot label, which is the Gini index (Breiman 2001, Mach. Learn.
   45, 5); bootstrap, columns drawn per node; optionally cut points drawn at random (Geurts et al. 2006, Mach. Learn.
   63, 3).
   Stack. Members are weighted to maximise sum log(sum_m w_m p_m) + 20 sum_m log w_m over rows that they were not
   trained on (inner folds), w_m >= 0, sum w = 1: a mixture with a prior for equal weights, so EM climbs to the one
   maximum (Dempster et al. 1977; Wolpert 1992 for stacking).
   Temperature. p_k -> p_k^(1/T)/sum, T from the inner folds by log loss (Guo et al. 2017, ICML, section 4.2). Isotonic:
   pool adjacent violators per class (Zadrozny & Elkan 2002, KDD'02), classes renormalised; needs some hundred rows.
   AUC: probability that a random row of class 1 scores above one of class 0, ties one half (Hanley & McNeil 1982); its
   error and those of differences by DeLong et al. 1988, Biometrics 44, 837. Precision-recall AUC: sum of precision
   times steps in recall, no interpolation (Davis & Goadrich 2006). Expected calibration error: sum over 10 equal bins
   of (share of rows) |mean probability - fraction of class 1|, for two classes; for more, of the highest probability
   and whether it was right (Guo et al. 2017, eq. 3). It is biased upwards by about sqrt(p(1-p)/n) of a bin. Cost curve:
   least normalised expected cost over thresholds (Drummond & Holte 2006, Mach. Learn. 65, 95). kappa: Cohen 1960.
   Domain distance. Mean distance to the 5 nearest training rows, standardised, over the median of the same among the
   training rows themselves: 1 is ordinary; the model has seen nothing like a source at 3 and more.
   Reweighting. Weights that give labelled rows the histogram of a quantity (log flux) of the sources in question;
   scores with these weights say what to expect of those, as far as class and features depend on that quantity alone.

   When NOT to use it: p is a probability only for sources drawn like the training rows. Unassociated sources are not;
   look at the domain distance and at the reweighted scores, and do not count candidates by summing p. A purity that was
   reached on labelled rows holds for sources with the same share of each class, and for no others. */
#ifndef BML_CLASSIFY_H
#define BML_CLASSIFY_H
#define BML_CLASSIFY_VERSION 200 /* 0.2.0: 10000 major + 100 minor + patch */
#include <stddef.h>
#include <stdint.h>

#ifndef BML_CLASSIFY_DEF
#if defined(BML_CLASSIFY_STATIC) && (defined(__GNUC__) || defined(__clang__))
#define BML_CLASSIFY_DEF static __attribute__((unused))
#elif defined(BML_CLASSIFY_STATIC)
#define BML_CLASSIFY_DEF static
#elif defined(__cplusplus)
#define BML_CLASSIFY_DEF extern "C"
#else
#define BML_CLASSIFY_DEF extern
#endif
#endif

/* ---- API: statuses ---------------------------------------------------------------------------------------------- */
/* name, value, message. Everything but OK is negative. */
#define BML_CLASSIFY_STATUS_TABLE(X)                                                         \
    X(BML_CLASSIFY_OK, 0, "no error")                                                        \
    X(BML_CLASSIFY_BAD_ARGUMENT, -1, "an argument is missing, NaN, or out of range")         \
    X(BML_CLASSIFY_NO_MEMORY, -2, "out of memory")                                           \
    X(BML_CLASSIFY_TOO_LARGE, -3, "sizes whose product overflows")                           \
    X(BML_CLASSIFY_NO_FILE, -4, "the file cannot be read")                                   \
    X(BML_CLASSIFY_BAD_TABLE, -5, "the file is no table, or damaged")                        \
    X(BML_CLASSIFY_NO_COLUMN, -6, "the table lacks a column that is needed")                 \
    X(BML_CLASSIFY_BAD_VALUE, -7, "a cell of the table does not hold what its column needs") \
    X(BML_CLASSIFY_DUPLICATE, -8, "a name stands twice")                                     \
    X(BML_CLASSIFY_BAD_LABEL, -9, "no class of that name")                                   \
    X(BML_CLASSIFY_ONE_CLASS, -10, "the labelled rows are of one class only")                \
    X(BML_CLASSIFY_TOO_FEW, -11, "too few rows")                                             \
    X(BML_CLASSIFY_EMPTY_COLUMN, -12, "a feature has no value in any training row")          \
    X(BML_CLASSIFY_NO_NETWORKS, -13, "compiled without networks")                            \
    X(BML_CLASSIFY_NO_FITS, -14, "a FITS file, and compiled without cfitsio")                \
    X(BML_CLASSIFY_NOT_CONVERGED, -15, "the fit did not converge")                           \
    X(BML_CLASSIFY_CANCELLED, -16, "cancelled by the progress callback")                     \
    X(BML_CLASSIFY_NO_ZLIB, -17, "a compressed file, and compiled without zlib")             \
    X(BML_CLASSIFY_NOT_REACHED, -18, "no threshold reaches that purity")
#define BML_CLASSIFY__ENUM(name, value, text) name = value,
enum { BML_CLASSIFY_STATUS_TABLE(BML_CLASSIFY__ENUM) BML_CLASSIFY__STATUS_END = 1 };
#undef BML_CLASSIFY__ENUM
enum { BML_CLASSIFY_MESSAGE = 512 }; /* bytes of `why`, with the NUL */
enum { BML_CLASSIFY_NAME = 48 };     /* and of a name */

/* The message of a status; "unknown status" for other numbers. Static text. */
BML_CLASSIFY_DEF const char *bml_classify_strerror(int status);

/* ---- API: random numbers -------------------------------------------------------------------------------------------
   Philox4x32-10 (Salmon et al. 2011, SC11, "Parallel random numbers: as easy as 1, 2, 3"), the same text and the same
   numbers in every bml header. (seed, stream) names a sequence; sequences do not overlap: word 0 of the counter counts
   blocks of four numbers, words 1 and 2 are the stream, word 3 starts at 2^32 - 1 and is lowered when word 0 wraps, so
   that small values of it are free for the header's own streams. A generator is plain data: copy it to save it. */

typedef struct bml_classify_rng {
    uint32_t key[2];     /* the seed */
    uint32_t counter[4]; /* of the next block */
    uint32_t block[4];   /* the present one */
    uint32_t used;       /* how many of its four words are spent */
} bml_classify_rng;

/* out[4] = the block of counter[4] under key[2]. */
BML_CLASSIFY_DEF void bml_classify_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key);
/* The beginning of sequence (seed, stream). */
BML_CLASSIFY_DEF void bml_classify_rng_init(bml_classify_rng *rng, uint64_t seed, uint64_t stream);
/* The next 32 random bits. */
BML_CLASSIFY_DEF uint32_t bml_classify_rng_u32(bml_classify_rng *rng);
/* Uniform in (0, 1), never 0 or 1: (k + 1/2)/2^52. */
BML_CLASSIFY_DEF double bml_classify_rng_uniform(bml_classify_rng *rng);
/* Normal, mean 0, standard deviation 1 (Box & Muller 1958). */
BML_CLASSIFY_DEF double bml_classify_rng_normal(bml_classify_rng *rng);

/* ---- API: tables ------------------------------------------------------------------------------------------------ */
typedef struct bml_classify_column {
    const char *name;
    double *number;    /* [n_rows] a column of numbers of a FITS file; NULL: text */
    const char **text; /* [n_rows] blanks at both ends removed; NULL: numbers */
} bml_classify_column;

typedef struct bml_classify_table {
    int n_rows, n_columns;
    bml_classify_column *column; /* [n_columns] */
    long *line;                  /* [n_rows] line in the file (CSV), or row from 1 (FITS) */
    char name[256];              /* of the file, for messages */
} bml_classify_table;

/* Reads CSV text[size]: a line of names, then rows; commas, semicolons or tabs, whichever the line of names holds most
   of; "quoted" fields; # begins a comment line; a decimal point whatever the locale. `name` is for messages. On failure
   *table is NULL. BAD_TABLE, DUPLICATE (two columns of one name), NO_MEMORY, TOO_LARGE. */
BML_CLASSIFY_DEF int bml_classify_table_parse(bml_classify_table **table, const char *text, size_t size,
                                              const char *name, char *why);
/* Reads a file: FITS if it begins like one (first table with rows; a vector column X of 7 becomes X_1 ... X_7), else
   CSV as above. Either may be compressed (.gz). NO_FILE, NO_FITS, NO_ZLIB too. */
BML_CLASSIFY_DEF int bml_classify_table_read(bml_classify_table **table, const char *path, char *why);
BML_CLASSIFY_DEF void bml_classify_table_free(bml_classify_table *table);
/* Number of the column of that name, upper and lower case alike, or -1. */
BML_CLASSIFY_DEF int bml_classify_table_find(const bml_classify_table *table, const char *name);
/* out[n_rows] of a column; empty, "nan", "null", "none" and "--" give NaN; "inf" an infinity. BAD_VALUE names line and
   column: what is no number, or one beyond 1e100. BAD_ARGUMENT for a column that is not there. */
BML_CLASSIFY_DEF int bml_classify_table_numbers(double *out, const bml_classify_table *table, int column, char *why);

/* ---- API: Fermi-LAT catalogues ---------------------------------------------------------------------------------- */
enum {                         /* what a source is */
       BML_CLASSIFY_BLANK = 0, /* no association */
       BML_CLASSIFY_UNKNOWN,   /* "unk": associated with something of no known class */
       BML_CLASSIFY_BCU,
       BML_CLASSIFY_BLL,
       BML_CLASSIFY_FSRQ,
       BML_CLASSIFY_OTHER_AGN, /* rdg agn css nlsy1 ssrq sey */
       BML_CLASSIFY_PSR,       /* psr, msp */
       BML_CLASSIFY_OTHER,     /* pwn snr spp glc hmb lmb bin nov sfr gal sbg gc, and what is not known here */
       BML_CLASSIFY_N_KINDS
};
enum { BML_CLASSIFY_NO_PULSAR = 0, BML_CLASSIFY_YOUNG, BML_CLASSIFY_MILLISECOND };
enum { BML_CLASSIFY_N_REPORTS = 5 };
enum { BML_CLASSIFY_QUANTITIES = 16 };

/* What a group of columns holds. */
typedef struct bml_classify_report {
    const char *what; /* "Flux_Band"; NULL ends the list */
    long n, n_nan, n_infinite, n_zero, n_negative;
    long n_limits;    /* upper limits: the lower error is NaN */
    const char *rule; /* what is done with them */
} bml_classify_report;

typedef struct bml_classify_catalog {
    int n, n_bands, n_years;                /* n_years 0: no light curves */
    char (*name)[BML_CLASSIFY_NAME];        /* [n] "4FGL J0000.3-7355" */
    char (*label)[BML_CLASSIFY_NAME];       /* [n] the class as in the file */
    char (*association)[BML_CLASSIFY_NAME]; /* [n] ASSOC1; "" where the column is absent */
    int *kind;                              /* [n] BML_CLASSIFY_BLANK ... */
    int *pulsar;                            /* [n] BML_CLASSIFY_YOUNG, ... from CLASS1, or bml_classify_match_pulsars */
    int *release;                           /* [n] DataRelease; 0 where the column is absent */
    double *lon, *lat;                      /* [n] Galactic [deg] */
    double *ra, *dec;                       /* [n] J2000 [deg]; NaN where the columns are absent */
    double *flux, *flux_error;              /* [n][n_bands] band fluxes, their upper errors [ph cm^-2 s^-1] */
    double *sqrt_ts;                        /* [n][n_bands] NaN where the column is absent */
    double *history, *history_error;        /* [n][n_years] yearly fluxes, their upper errors [ph cm^-2 s^-1] */
    double *variability, *curvature; /* [n] Variability_Index; significance of curvature LP_SigCurv [sigma]; or NaN */
    double *quantity;                /* [n][QUANTITIES] columns for the features BML_CLASSIFY_CATALOG */
    int has_quantity[BML_CLASSIFY_QUANTITIES]; /* which of them the file has */
    int n_unknown;                             /* sources whose class is not known here */
    char warning[BML_CLASSIFY_MESSAGE];        /* and which class that is, with line and column; "" without */
    bml_classify_report report[BML_CLASSIFY_N_REPORTS + 1];
} bml_classify_catalog;

/* Takes a catalogue (4FGL, DR1 to DR4) from a table by column names. Needed: Source_Name, CLASS1 (or CLASS), GLAT, and
   Flux_Band_1... or Flux_History_1... or both. Used when there: GLON, RAJ2000, DEJ2000, DataRelease, ASSOC1,
   Unc_Flux_Band_1...(lower, upper for each band), Sqrt_TS_Band_1..., Unc_Flux_History_1..., Variability_Index,
   LP_SigCurv, and what BML_CLASSIFY_CATALOG lists. The number of bands and years is what the file has. Copies: the
   table may be freed. NO_COLUMN, BAD_VALUE, DUPLICATE, NO_MEMORY. */
BML_CLASSIFY_DEF int bml_classify_catalog_create(bml_classify_catalog **catalog, const bml_classify_table *table,
                                                 char *why);
BML_CLASSIFY_DEF void bml_classify_catalog_free(bml_classify_catalog *catalog);
/* The kind of a class name in any case, or -1. */
BML_CLASSIFY_DEF int bml_classify_kind(const char *label);
/* Marks catalog->pulsar from a pulsar list with columns Source_Name (or PSR, compared with ASSOC1) and is_msp (or P_ms:
   below 30 ms is a millisecond pulsar). Only sources of kind PSR are marked; those not in the list stay what CLASS1
   says of them. *n_young and *n_millisecond count all. NO_COLUMN, BAD_VALUE. */
BML_CLASSIFY_DEF int bml_classify_match_pulsars(int *n_young, int *n_millisecond, bml_classify_catalog *catalog,
                                                const bml_classify_table *list, char *why);
/* match[n]: the row of each source of the catalogue in another table, or -1; returns their number, or a status. By
   Source_Name where the table has it, else the nearest within `radius` [deg] by RAJ2000 and DEJ2000 (or RA and DEC), or
   GLON and GLAT [deg]. NO_COLUMN, BAD_VALUE, BAD_ARGUMENT, DUPLICATE (a name twice in the table), NO_MEMORY. */
BML_CLASSIFY_DEF int bml_classify_join(int *match, const bml_classify_catalog *catalog, const bml_classify_table *table,
                                       double radius, char *why);

/* ---- API: data: rows, features, labels -------------------------------------------------------------------------- */
typedef struct bml_classify_data {
    int n, d, n_class;
    double *x;                             /* [n][d] NaN: missing */
    int *y;                                /* [n] 0 ... n_class-1, or -1: no label */
    int *source;                           /* [n] row of the catalogue or table; may be NULL */
    int *group;                            /* [d] BML_CLASSIFY_ENERGY ...; may be NULL */
    char (*feature)[BML_CLASSIFY_NAME];    /* [d] names; may be NULL */
    char (*class_name)[BML_CLASSIFY_NAME]; /* [n_class]; may be NULL */
} bml_classify_data; /* fill one in for data of your own; only those made by the calls below go to _data_free */

enum { BML_CLASSIFY_AGN_PSR = 0, BML_CLASSIFY_BLL_FSRQ, BML_CLASSIFY_YNG_MSP }; /* tasks; the second is number 1 */
/* kinds of features, to be added */
enum { BML_CLASSIFY_RAW = 1 };
enum { BML_CLASSIFY_LOG = 2 };
enum { BML_CLASSIFY_DERIVED = 4 };
enum { BML_CLASSIFY_ERRORS = 8 };
enum { BML_CLASSIFY_SQRT_TS = 16 };
enum { BML_CLASSIFY_LATITUDE = 32 };
enum { BML_CLASSIFY_SIGNED_LATITUDE = 64 };
enum { BML_CLASSIFY_CATALOG = 128 };
enum { BML_CLASSIFY_ALL_FEATURES = 255 };
/* what a feature is of */
enum { BML_CLASSIFY_ENERGY = 1 };
enum { BML_CLASSIFY_TIME = 2 };
enum { BML_CLASSIFY_PLACE = 4 };
enum { BML_CLASSIFY_OUTSIDE = 8 }; /* another table */

typedef struct bml_classify_features {
    int task;   /* BML_CLASSIFY_AGN_PSR ... */
    int kinds;  /* sum of BML_CLASSIFY_RAW ...; 0 = RAW */
    int inputs; /* ENERGY, TIME or their sum; 0 = both, as far as they are there. Latitude stays in anyway */
} bml_classify_features;

/* Labelled rows and candidates of a task (y = -1: blank and unk; for BLL_FSRQ bcu), in the order of the catalogue.
   ONE_CLASS, NO_COLUMN (light curves or bands asked for, and not there), BAD_ARGUMENT, NO_MEMORY. */
BML_CLASSIFY_DEF int bml_classify_data_from_catalog(bml_classify_data **data, const bml_classify_catalog *catalog,
                                                    const bml_classify_features *features, char *why);
/* Every column but `label` as a feature; classes in the order of their names; rows without a label have y = -1.
   NO_COLUMN, BAD_VALUE, ONE_CLASS; BAD_LABEL for more than 32 classes; EMPTY_COLUMN for a column without a number. */
BML_CLASSIFY_DEF int bml_classify_data_from_table(bml_classify_data **data, const bml_classify_table *table,
                                                  const char *label, char *why);
/* The data with further features: out_NAME for each column NAME of numbers of a table (names, positions, columns of
   text and those that hold nothing for any source left out), and out_found, whether there was a row, unless there
   always was. match[] is of the sources, as bml_classify_join gives it. EMPTY_COLUMN when nothing is
   added, NO_MEMORY. */
BML_CLASSIFY_DEF int bml_classify_data_join(bml_classify_data **wider, const bml_classify_data *data,
                                            const bml_classify_table *table, const int *match, char *why);
BML_CLASSIFY_DEF void bml_classify_data_free(bml_classify_data *data);
/* columns[d] and *n_columns: the features whose group is in `groups` and whose name begins with one of the words of
   `prefixes` ("log|derived"; NULL: any). */
BML_CLASSIFY_DEF void bml_classify_data_columns(int *columns, int *n_columns, const bml_classify_data *data, int groups,
                                                const char *prefixes);

/* Stratified split: rows[n] holds the labelled rows, first *n_train for training, then *n_test to test, each part in
   random order; `fraction` of each class, to the nearest row, goes to training. TOO_FEW, ONE_CLASS. */
BML_CLASSIFY_DEF int bml_classify_split(int *rows, int *n_train, int *n_test, const bml_classify_data *data,
                                        double fraction, uint64_t seed, char *why);
/* fold[n_rows] in 0 ... n_folds-1 of the labelled rows rows[n_rows] (NULL: all n rows of data), each class spread
   evenly; -1 for rows without a label. TOO_FEW when a class has fewer rows than folds, ONE_CLASS. */
BML_CLASSIFY_DEF int bml_classify_folds(int *fold, const bml_classify_data *data, const int *rows, int n_rows,
                                        int n_folds, uint64_t seed, char *why);

/* ---- API: models ------------------------------------------------------------------------------------------------ */
enum {
    BML_CLASSIFY_LOGISTIC = 0,
    BML_CLASSIFY_FOREST,
    BML_CLASSIFY_BOOST,
    BML_CLASSIFY_DNN,
    BML_CLASSIFY_RNN,
    BML_CLASSIFY_BNN,
    BML_CLASSIFY_KERNEL,
    BML_CLASSIFY_STACK,
    BML_CLASSIFY_N_MODELS
};
enum { BML_CLASSIFY_NO_CALIBRATION = 0, BML_CLASSIFY_TEMPERATURE, BML_CLASSIFY_ISOTONIC };
enum { BML_CLASSIFY_NO_SMOTE = 0, BML_CLASSIFY_SMOTE_MINORITY, BML_CLASSIFY_SMOTE_FULL };

typedef struct bml_classify_config {
    int model; /* BML_CLASSIFY_LOGISTIC ... */
    uint64_t seed;
    const int *columns; /* [n_columns] features to use, in this order; NULL = all */
    int n_columns;
    int copies;          /* the same again with other seeds, averaged; 0 = 1. sd is then their scatter */
    int smote;           /* MINORITY: every class to the size of the largest. FULL: every class to smote_to, or to
                              twice the largest. Both by new rows; none are dropped */
    const int *smote_to; /* [n_class] or NULL */
    int class_weights;   /* 1: each class the same total weight */
    int calibrate;       /* BML_CLASSIFY_TEMPERATURE, ... on inner folds of the training rows */
    int folds;           /* inner folds, for calibration and for the weights of a stack; 0 = 5 */
    double l2;           /* penalty; 0 = logistic 1, kernel 0.05, boost 3, forest 1e-9, networks none */
    int trees;           /* 0 = forest 300, boost 150 */
    int depth;           /* 0 = forest 20, boost 3 */
    int min_leaf;        /* rows; 0 = forest 2, boost 10 */
    double rate;         /* learning rate; 0 = boost 0.08, DNN 0.01, RNN and BNN 0.001 */
    double row_share;    /* boost: share of rows per tree, drawn without repetition; 0 = 0.7 */
    double column_share; /* columns per node; 0 = forest sqrt(d)/d, boost 0.5 */
    double scale;        /* kernel: width, in sds per feature; 0 = 1.5 */
    int centres;         /* kernel: at most that many; 0 = 200 */
    int random_cuts;     /* forest: 1 = one random cut per column */
    int epochs;          /* networks; 0 = DNN and RNN 50, BNN 250 */
    int batch;           /* networks; 0 = DNN 64, RNN and BNN 32 */
    int hidden;          /* networks, units per hidden layer; 0 = 16, RNN 8 */
    int cosine;          /* networks: 1 = the rate falls to nothing along half a cosine over the epochs */
    int draws;           /* BNN: draws of the weights; 0 = 500 */
    const struct bml_classify_config *member; /* [n_members] of a stack, not stacks themselves */
    int n_members;                            /* 1 to 1000 */
    int (*progress)(double done, void *user); /* called with the fraction done; non-zero cancels; NULL = none */
    void *progress_user;
} bml_classify_config;

typedef struct bml_classify_model bml_classify_model;

/* "logistic", "forest" ...; "?" for other numbers. Static text. */
BML_CLASSIFY_DEF const char *bml_classify_model_name(int model);
/* Fits to rows[n_rows] of data, which must have labels (NULL: all rows that have one). Nothing else of data
   is looked at. On failure *model is NULL. BAD_ARGUMENT, ONE_CLASS, TOO_FEW, EMPTY_COLUMN, NO_MEMORY,
   NO_NETWORKS, NOT_CONVERGED, CANCELLED. */
BML_CLASSIFY_DEF int bml_classify_fit(bml_classify_model **model, const bml_classify_config *config,
                                      const bml_classify_data *data, const int *rows, int n_rows, char *why);
/* p[n_rows][n_class] of rows[n_rows] of data (NULL: all n), which has the same features as in the fit.
   sd[n_rows][n_class] or NULL: scatter of copies, members, trees or draws; by the inverse Hessian for one logistic
   or kernel regression; NaN for one boosted or plain network. It is the model's own doubt, not the training set's.
   Thread safe on one const model. BAD_ARGUMENT, NO_MEMORY. */
BML_CLASSIFY_DEF int bml_classify_predict(double *p, double *sd, const bml_classify_model *model,
                                          const bml_classify_data *data, const int *rows, int n_rows);
BML_CLASSIFY_DEF void bml_classify_model_free(bml_classify_model *model);
/* weight[n_members] of a stack; the temperature (1 without). */
BML_CLASSIFY_DEF const double *bml_classify_model_weights(const bml_classify_model *model);
BML_CLASSIFY_DEF double bml_classify_model_temperature(const bml_classify_model *model);
/* The class of highest probability p[n_class] if that is at least `confidence`, else -1: unclassified. */
BML_CLASSIFY_DEF int bml_classify_verdict(const double *p, int n_class, double confidence);

/* ---- API: metrics --------------------------------------------------------------------------------------------------
   score[n] is the probability (or any score) of class 1, y[n] 0 or 1, w[n] weights or NULL: all 1. Rows with y < 0 are
   left out. Metrics that return a double give NaN where they are not defined (one class only, no rows, a NaN score)
   and without memory: bml_classify_score tells the one from the other. */
BML_CLASSIFY_DEF double bml_classify_auc(const double *score, const int *y, const double *w, int n);
/* auc[n_scores] and their covariance[n_scores][n_scores] for scores[n_scores][n] of the same rows: errors of each and
   of differences, var(a-b) = c_aa + c_bb - 2 c_ab. ONE_CLASS; TOO_FEW for less than two rows of a class; NO_MEMORY. */
BML_CLASSIFY_DEF int bml_classify_delong(double *auc, double *covariance, const double *scores, int n_scores,
                                         const int *y, int n);
BML_CLASSIFY_DEF double bml_classify_pr_auc(const double *score, const int *y, const double *w, int n);
/* The curve over all distinct thresholds, from "all are 0" to "all are 1": point k says class 1 where score >=
   threshold[k] (the first is +infinity). Arrays of n + 1; returns the number of points, or a status < 0. Precision of
   the first point is 1 by convention. */
BML_CLASSIFY_DEF int bml_classify_curve(double *threshold, double *false_positive, double *true_positive,
                                        double *precision, const double *score, const int *y, const double *w, int n);
/* The threshold whose point of the ROC curve is nearest to (0, 1): halfway between the scores on its two sides. */
BML_CLASSIFY_DEF double bml_classify_nearest_threshold(const double *score, const int *y, const double *w, int n);

typedef struct bml_classify_cut {
    double threshold;    /* class 1 where score >= threshold */
    double purity;       /* of those called class 1, the share that is */
    double completeness; /* of class 1, the share that is called so */
    double called;       /* rows called class 1, or their weight */
} bml_classify_cut;

/* The threshold of highest completeness among those with at least that purity (purity > 0), or of highest purity among
   those with at least that completeness (completeness > 0): one of the two is given, the other is 0. It lies halfway
   between the scores on its two sides. BAD_ARGUMENT, ONE_CLASS, NOT_REACHED, NO_MEMORY. */
BML_CLASSIFY_DEF int bml_classify_threshold(bml_classify_cut *cut, double purity, double completeness,
                                            const double *score, const int *y, const double *w, int n);
/* cost[n_points]: least normalised expected cost of any threshold at probability cost k/(n_points-1); 0.5 at most. */
BML_CLASSIFY_DEF int bml_classify_cost_curve(double *cost, int n_points, const double *score, const int *y,
                                             const double *w, int n);
/* matrix[n_class][n_class], weight of rows of class (row) taken for class (column); highest p[n][n_class] wins, and for
   two classes class 1 where p >= threshold (NaN: 0.5). */
BML_CLASSIFY_DEF void bml_classify_confusion(double *matrix, const double *p, const int *y, const double *w, int n,
                                             int n_class, double threshold);
/* mean[n_bins], fraction[n_bins], weight[n_bins]: predicted and true share of class 1 in equal bins of p; NaN where
   empty. */
BML_CLASSIFY_DEF void bml_classify_calibration_curve(double *mean, double *fraction, double *weight, int n_bins,
                                                     const double *score, const int *y, const double *w, int n);
/* Agreement of two lists of classes 0 ... n_class-1 beyond chance; entries where either is negative are left out. */
BML_CLASSIFY_DEF double bml_classify_kappa(const int *a, const int *b, int n, int n_class);
BML_CLASSIFY_DEF void bml_classify_mean_sd(double *mean, double *sd, const double *values, int n); /* sd with n - 1 */

typedef struct bml_classify_scores {
    double n;                 /* rows, or their weight */
    double accuracy;          /* highest probability wins */
    double balanced_accuracy; /* mean recall of the classes */
    double f1;                /* of class 1; for more than two classes the mean of one against the rest, as below */
    double auc, auc_error;    /* DeLong; NaN with weights or more than two classes */
    double pr_auc, brier;     /* Brier: sum over classes of (p - label)^2; for two classes half of that */
    double log_loss;          /* natural log; p below 1e-15 counts as that */
    double calibration_error; /* expected calibration error, 10 bins */
    double threshold;         /* nearest to (0, 1) */
} bml_classify_scores;

/* All of them, of p[n][n_class] and labels y[n] (negative: left out), weights w[n] or NULL. BAD_ARGUMENT for p outside
   [0,1] or NaN, TOO_FEW, NO_MEMORY. */
BML_CLASSIFY_DEF int bml_classify_score(bml_classify_scores *s, const double *p, const int *y, const double *w, int n,
                                        int n_class);
/* Scores of out-of-fold probabilities of all labelled rows; p[n][n_class] (NaN for the others) or NULL. */
BML_CLASSIFY_DEF int bml_classify_cross_validate(bml_classify_scores *s, double *p, const bml_classify_config *config,
                                                 const bml_classify_data *data, int n_folds, char *why);

/* ---- API: calibration ------------------------------------------------------------------------------------------- */
/* T that minimises the log loss of p^(1/T)/sum over rows of p[n][n_class] with labels y[n]; within 0.05 and 20. */
BML_CLASSIFY_DEF double bml_classify_temperature(const double *p, const int *y, int n, int n_class);
/* Isotonic regression of y on score: knots x[n], value[n], *n_knots of them, x rising, value not falling. NO_MEMORY. */
BML_CLASSIFY_DEF int bml_classify_isotonic(double *x, double *value, int *n_knots, const double *score, const int *y,
                                           int n);
/* The regression at one score: linear between knots, constant outside. */
BML_CLASSIFY_DEF double bml_classify_isotonic_at(const double *x, const double *value, int n_knots, double score);

/* ---- API: explanation and domain -------------------------------------------------------------------------------- */
/* importance[d]: fall of the AUC (log likelihood per row for more than two classes) when a feature's values are
   shuffled among rows[n_rows], mean of `repeats` shuffles. ONE_CLASS, NO_MEMORY. */
BML_CLASSIFY_DEF int bml_classify_permutation_importance(double *importance, const bml_classify_model *model,
                                                         const bml_classify_data *data, const int *rows, int n_rows,
                                                         int repeats, uint64_t seed);
/* importance[d]: mean over rows[n_rows] of |d p_1/d x_j| per sd of x_j, each row first normalised to a sum of 1 (so
   that a source in the flat part of the answer counts as much as one at the border); central differences of 0.05 sd.
   For models that are smooth: logistic regression, networks, stacks of those. */
BML_CLASSIFY_DEF int bml_classify_gradient_importance(double *importance, const bml_classify_model *model,
                                                      const bml_classify_data *data, const int *rows, int n_rows);
/* distance[n_rows] of rows[n_rows] to the training rows train[n_train], by the features columns[n_columns] (NULL: all).
   TOO_FEW for less than 7 training rows, NO_MEMORY. */
BML_CLASSIFY_DEF int bml_classify_domain_distance(double *distance, const bml_classify_data *data, const int *rows,
                                                  int n_rows, const int *train, int n_train, const int *columns,
                                                  int n_columns);
/* weight[n], mean 1, that give value[n] the histogram of target[n_target] in n_bins bins of equal numbers of targets;
   *covered is the share of targets in bins that hold any of the values. Weights stop at 20. BAD_ARGUMENT, NO_MEMORY. */
BML_CLASSIFY_DEF int bml_classify_match_weights(double *weight, double *covered, const double *value, int n,
                                                const double *target, int n_target, int n_bins);

#endif /* BML_CLASSIFY_H */
/* ---- end of API ---- */

#if defined(BML_CLASSIFY_IMPLEMENTATION) && !defined(BML_CLASSIFY_IMPLEMENTED)
#define BML_CLASSIFY_IMPLEMENTED

/* Contents: search for ">> name".
   >> status and memory           statuses, messages, the allocator
   >> random numbers              Philox4x32-10, streams, shuffling
   >> numbers and texts           sorting, medians, Cholesky, numbers as text
   >> tables                      CSV
   >> FITS tables                 through cfitsio
   >> files                       plain and compressed ones, columns of numbers
   >> catalogues                  columns of a Fermi-LAT catalogue, classes, the report
   >> pulsars and other tables    young or millisecond; joins by name and by position
   >> features                    what is made of fluxes, errors, and the catalogue's own fits
   >> data                        rows of a task, of a table, of a join
   >> splits                      70/30, folds
   >> learners                    what a learner gets and keeps
   >> logistic regression         Newton's method
   >> kernel regression           logistic regression on a Gaussian process's features
   >> trees                       boosting and the forest
   >> networks                    dense, recurrent and Bayesian nets of bml_nn.h
   >> balance                     SMOTE, class weights
   >> fitting                     scaling, copies, stacks, calibration on inner folds
   >> predicting
   >> metrics                     AUC, its errors, curves, thresholds, scores, cross-validation
   >> calibration                 temperature, isotonic regression
   >> explanation and domain      importances, distances, weights */

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "bml_classify.h: compile it without -ffast-math and -Ofast (in gcc and clang: add -fno-fast-math)"
#endif
#include <float.h>
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16 && FLT_EVAL_METHOD != 1
#error "bml_classify.h: FLT_EVAL_METHOD is not 0 or 1: -msse2 -mfpmath=sse on i386, -std=gnu99 elsewhere"
#endif
#if defined(BML_CLASSIFY_MALLOC) != defined(BML_CLASSIFY_FREE)
#error "bml_classify.h: define both BML_CLASSIFY_MALLOC and BML_CLASSIFY_FREE, or neither"
#endif

/* The networks: where bml_nn.h is, and its functions are nowhere yet, they are compiled here. */
#if !defined(BML_CLASSIFY_NO_NN) && defined(__has_include)
#if __has_include("bml_nn.h")
#define BML_CLASSIFY__NN
#endif
#endif
#if defined(BML_CLASSIFY__NN) || (!defined(BML_CLASSIFY_NO_NN) && defined(BML_NN_H))
#if !defined(BML_CLASSIFY__NN)
#define BML_CLASSIFY__NN /* its declarations are here, by another path */
#elif defined(BML_NN_IMPLEMENTED) || defined(BML_NN_IMPLEMENTATION) || defined(BML_NN_STATIC)
#if defined(BML_NN_STATIC) && !defined(BML_NN_IMPLEMENTATION)
#define BML_NN_IMPLEMENTATION
#endif
#include "bml_nn.h"
#elif defined(__GNUC__)
#undef BML_NN_DEF
#if defined(__cplusplus)
#define BML_NN_DEF extern "C" __attribute__((weak))
#else
#define BML_NN_DEF extern __attribute__((weak))
#endif
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#undef BML_NN_IMPLEMENTATION
#else
#include "bml_nn.h"
#endif
#endif

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h> /* strtod, qsort */
#ifndef BML_CLASSIFY_MALLOC
#define BML_CLASSIFY_MALLOC(n) malloc(n)
#define BML_CLASSIFY_FREE(p) free(p)
#endif
#ifdef BML_CLASSIFY_USE_CFITSIO
#include <fitsio.h>
#endif
#ifdef BML_CLASSIFY_USE_ZLIB
#include <zlib.h>
#endif
#define BML_CLASSIFY__NAN ((double)NAN) /* the C library's are float: said aloud for -Wdouble-promotion */
#define BML_CLASSIFY__INF ((double)INFINITY)
#if defined(__GNUC__) || defined(__clang__)
#define BML_CLASSIFY__PRINTF __attribute__((format(printf, 3, 4)))
#else
#define BML_CLASSIFY__PRINTF
#endif

/* >> status and memory

   A message is made where the fault is seen. Memory: every object and every scratch is one block. Its arrays are laid
   out by a loop that runs twice, first without memory, to count, and then over the block:

       do {
           x = bml_classify__take_doubles(&room, n, d);
           y = bml_classify__take_ints(&room, n);
       } while (bml_classify__again(&room));
       if (!room.base) return no memory; ... BML_CLASSIFY_FREE(room.base); */

BML_CLASSIFY_DEF const char *bml_classify_strerror(int status) {
#define BML_CLASSIFY__CASE(name, value, text) \
    if (status == value) return text;
    BML_CLASSIFY_STATUS_TABLE(BML_CLASSIFY__CASE)
#undef BML_CLASSIFY__CASE
    return "unknown status";
}

/* The locale's decimal point; what it is, snprintf knows. */
static char bml_classify__point(void) {
    char half[16];
    snprintf(half, sizeof half, "%.1f", 0.5);
    return half[1];
}

static int bml_classify__digit(char c) {
    return c >= '0' && c <= '9';
}

/* Decimal points between digits, whatever the locale; what stands in quotes is the user's. */
static void bml_classify__mend_points(char *text) {
    char point = bml_classify__point();
    int quoted = 0;
    if (point == '.') {
        return;
    }
    for (char *s = text; *s; s++) {
        quoted ^= *s == '\'';
        int inside = s > text && bml_classify__digit(s[-1]) && bml_classify__digit(s[1]);
        if (*s == point && inside && !quoted) {
            *s = '.';
        }
    }
}

/* Writes the message, where one is wanted, and hands the status through: return bml_classify__fail(...). */
BML_CLASSIFY__PRINTF static int bml_classify__fail(char *why, int status, const char *format, ...) {
    if (!why) {
        return status;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(why, BML_CLASSIFY_MESSAGE, format, args);
    va_end(args);
    bml_classify__mend_points(why);
    return status;
}

static int bml_classify__no_memory(char *why) {
    return bml_classify__fail(why, BML_CLASSIFY_NO_MEMORY, "out of memory");
}

/* The message of a status that has none yet. */
static int bml_classify__say(char *why, int status) {
    return bml_classify__fail(why, status, "%s", bml_classify_strerror(status));
}

static void bml_classify__no_message(char *why) {
    if (why) {
        *why = 0;
    }
}

typedef struct bml_classify__room {
    char *base;  /* NULL: count, or no memory */
    size_t used; /* bytes laid out so far; (size_t)-1: too many for any machine */
} bml_classify__room;

/* a rows of b elements of `size` bytes, for any type; NULL in the counting round. */
static void *bml_classify__take(bml_classify__room *room, ptrdiff_t a, ptrdiff_t b, size_t size) {
    const size_t most = (size_t)-1 / 2;
    size_t rows = (size_t)(a > 0 ? a : 0);
    size_t row = (size_t)(b > 0 ? b : 0) * size;
    if (b > 0 && (size_t)b > most / size) {
        room->used = (size_t)-1;
    }
    if (row > 0 && rows > (most - 16) / row) {
        room->used = (size_t)-1;
    }
    if (room->used == (size_t)-1) {
        return NULL;
    }
    size_t at = room->used;
    size_t bytes = (rows * row + 15) / 16 * 16;
    room->used = bytes > most - at ? (size_t)-1 : at + bytes;
    return room->base && room->used != (size_t)-1 ? room->base + at : NULL;
}

static double *bml_classify__take_doubles(bml_classify__room *room, ptrdiff_t a, ptrdiff_t b) {
    return (double *)bml_classify__take(room, a, b, sizeof(double));
}

typedef char bml_classify__name[BML_CLASSIFY_NAME];

static bml_classify__name *bml_classify__take_names(bml_classify__room *room, ptrdiff_t n) {
    return (bml_classify__name *)bml_classify__take(room, n, 1, sizeof(bml_classify__name));
}

static int *bml_classify__take_ints(bml_classify__room *room, ptrdiff_t n) {
    return (int *)bml_classify__take(room, n, 1, sizeof(int));
}

/* After the counting round: gets the block, zeroed, and asks for the second. 0 after that, or without memory. */
static int bml_classify__again(bml_classify__room *room) {
    if (room->base || room->used == (size_t)-1) {
        return 0;
    }
    size_t bytes = room->used > 0 ? room->used : 1;
    room->base = (char *)BML_CLASSIFY_MALLOC(bytes);
    if (!room->base) {
        return 0;
    }
    memset(room->base, 0, bytes);
    room->used = 0;
    return 1;
}

/* A block of its own of n zeroed elements, which begins with the first `old` of `from`; NULL without memory. */
static void *bml_classify__grown(const void *from, ptrdiff_t old, ptrdiff_t n, size_t size) {
    bml_classify__room room = {NULL, 0};
    do
        bml_classify__take(&room, n, 1, size);
    while (bml_classify__again(&room));
    if (room.base && old > 0) {
        memcpy(room.base, from, (size_t)old * size);
    }
    return room.base;
}

/* Where row i of an array of rows of `width` begins. */
static ptrdiff_t bml_classify__at(int i, int width) {
    return (ptrdiff_t)i * width;
}

static void bml_classify__copy(double *to, const double *from, ptrdiff_t n) {
    if (n > 0) {
        memcpy(to, from, (size_t)n * sizeof *to);
    }
}

static void bml_classify__clear(double *values, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) {
        values[i] = 0;
    }
}

/* Row i of a list, or i itself where all rows are meant. */
static int bml_classify__pick(const int *rows, int i) {
    return rows ? rows[i] : i;
}

/* >> random numbers
   Philox4x32-10; the numbers of (seed, stream, counter) are those of every bml header. */

BML_CLASSIFY_DEF void bml_classify_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key) {
    uint32_t c0 = counter[0];
    uint32_t c1 = counter[1];
    uint32_t c2 = counter[2];
    uint32_t c3 = counter[3];
    uint32_t k0 = key[0];
    uint32_t k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u; /* golden ratio */
        k1 += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* The sequence whose counter begins with block 0 and has words 1, 2 and 3 as given. */
static bml_classify_rng bml_classify__stream(uint64_t seed, uint32_t word1, uint32_t word2, uint32_t word3) {
    bml_classify_rng rng = {{(uint32_t)seed, (uint32_t)(seed >> 32)}, {0, word1, word2, word3}, {0, 0, 0, 0}, 4};
    return rng;
}

BML_CLASSIFY_DEF void bml_classify_rng_init(bml_classify_rng *rng, uint64_t seed, uint64_t stream) {
    *rng = bml_classify__stream(seed, (uint32_t)stream, (uint32_t)(stream >> 32), 0xFFFFFFFFu);
}

BML_CLASSIFY_DEF uint32_t bml_classify_rng_u32(bml_classify_rng *rng) {
    if (rng->used >= 4) {
        bml_classify_philox(rng->block, rng->counter, rng->key);
        rng->counter[0]++;
        if (rng->counter[0] == 0) {
            rng->counter[3]--;
        }
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

BML_CLASSIFY_DEF double bml_classify_rng_uniform(bml_classify_rng *rng) {
    uint64_t high = bml_classify_rng_u32(rng);
    uint64_t low = bml_classify_rng_u32(rng);
    uint64_t bits = (high << 32 | low) >> 12;
    return ((double)bits + 0.5) * (1.0 / 4503599627370496.0); /* 2^-52: + 0.5 stays exact */
}

BML_CLASSIFY_DEF double bml_classify_rng_normal(bml_classify_rng *rng) {
    double radius = sqrt(-2 * log(bml_classify_rng_uniform(rng)));
    return radius * cos(6.283185307179586 * bml_classify_rng_uniform(rng));
}
/* << random numbers */

/* Word 3 of the counter in this header's own streams; words 1 and 2 are 0. */
enum {
    BML_CLASSIFY__STREAM_ORDER = 1, /* the order of rows before they are split or dealt to folds */
    BML_CLASSIFY__STREAM_SPLIT,     /* the order within the two parts of a split */
    BML_CLASSIFY__STREAM_CENTRES,   /* centres of a kernel regression */
    BML_CLASSIFY__STREAM_TREES,     /* rows, columns and cuts of trees */
    BML_CLASSIFY__STREAM_SMOTE,     /* new rows */
    BML_CLASSIFY__STREAM_SHUFFLE    /* values shuffled for their importance */
};

/* 0..n-1; the bias, n/2^32, is far below what any set of sources can show. */
static int bml_classify__below(bml_classify_rng *rng, int n) {
    uint64_t bits = bml_classify_rng_u32(rng);
    return (int)(bits * (uint64_t)n >> 32);
}

static void bml_classify__shuffle(int *index, int n, bml_classify_rng *rng) { /* Fisher & Yates */
    for (int i = n - 1; i > 0; i--) {
        int k = bml_classify__below(rng, i + 1);
        int t = index[i];
        index[i] = index[k];
        index[k] = t;
    }
}

/* >> numbers and texts

   Sorting goes through qsort, with ties broken by index wherever the order of equals could be seen. */

typedef struct bml_classify__keyed {
    double key;
    int index;
} bml_classify__keyed;

static int bml_classify__by_key(const void *a, const void *b) { /* ties by index: the order is then one and the same */
    const bml_classify__keyed *x = (const bml_classify__keyed *)a;
    const bml_classify__keyed *y = (const bml_classify__keyed *)b;
    if (x->key < y->key) {
        return -1;
    }
    if (x->key > y->key) {
        return 1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

static int bml_classify__by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bml_classify__sort(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, bml_classify__by_value);
}

/* The median of values[n], which are reordered; NaN when n = 0. */
static double bml_classify__median(double *values, int n) {
    if (n < 1) {
        return BML_CLASSIFY__NAN;
    }
    bml_classify__sort(values, n);
    if (n % 2) {
        return values[n / 2];
    }
    return 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

/* Upper and lower case alike; plain ASCII, whatever the locale. */
static int bml_classify__lower(char c) {
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static int bml_classify__same(const char *a, const char *b) {
    while (*a && bml_classify__lower(*a) == bml_classify__lower(*b)) {
        a++;
        b++;
    }
    return bml_classify__lower(*a) == bml_classify__lower(*b);
}

/* No measurement is larger: its square, and a sum of squares, would leave the doubles. */
static const double bml_classify__largest = 1e100;

/* The number in a cell; NULL, or what is wrong with it. A decimal point, whatever the locale. */
static const char *bml_classify__number(double *value, const char *cell) {
    static const char *const missing[] = {"", "--", "nan", "null", "none"};
    static const char *const infinite[] = {"inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"};
    char token[64];
    *value = BML_CLASSIFY__NAN;
    for (int i = 0; i < 5; i++) {
        if (bml_classify__same(cell, missing[i])) {
            return NULL;
        }
    }
    for (int i = 0; i < 6; i++) {
        if (!bml_classify__same(cell, infinite[i])) {
            continue;
        }
        *value = *cell == '-' ? -BML_CLASSIFY__INF : BML_CLASSIFY__INF;
        return NULL;
    }
    size_t length = strspn(cell, "+-.0123456789eE"); /* strtod would take hexadecimal and nan(...) */
    if (cell[length] || length >= sizeof token) {
        return "is not a number";
    }
    memcpy(token, cell, length + 1);
    char *dot = strchr(token, '.');
    if (dot) {
        *dot = bml_classify__point();
    }
    char *end;
    *value = strtod(token, &end);
    if (end == token || *end) {
        return "is not a number";
    }
    return fabs(*value) <= bml_classify__largest ? NULL : "is beyond 1e100: no measurement";
}

/* a[n][n] symmetric, lower half: replaced by its Cholesky factor. 0 when it is not positive definite. */
static int bml_classify__cholesky(double *a, int n) {
    for (int j = 0; j < n; j++) {
        const double *row_j = a + bml_classify__at(j, n);
        for (int i = j; i < n; i++) {
            double *row_i = a + bml_classify__at(i, n);
            double s = row_i[j];
            for (int k = 0; k < j; k++) {
                s -= row_i[k] * row_j[k];
            }
            if (i > j) {
                row_i[j] = s / row_j[j];
            } else if (s > 0 && s < DBL_MAX) {
                row_i[i] = sqrt(s);
            } else {
                return 0;
            }
        }
    }
    return 1;
}

/* x[n] = (L L^T)^-1 x. */
static void bml_classify__solve(double *x, const double *L, int n) {
    for (int i = 0; i < n; i++) {
        const double *row = L + bml_classify__at(i, n);
        for (int k = 0; k < i; k++) {
            x[i] -= row[k] * x[k];
        }
        x[i] /= row[i];
    }
    for (int i = n - 1; i >= 0; i--) {
        for (int k = i + 1; k < n; k++) {
            x[i] -= L[bml_classify__at(k, n) + i] * x[k];
        }
        x[i] /= L[bml_classify__at(i, n) + i];
    }
}

static double bml_classify__distance2(const double *a, const double *b, int d) {
    double s = 0;
    for (int j = 0; j < d; j++) {
        s += (a[j] - b[j]) * (a[j] - b[j]);
    }
    return s;
}

/* >> tables

   One copy of the text is kept; its cells become texts in place. A row of n cells takes n bytes at least, which bounds
   the rows, so that one block holds all. Numbers are read when they are asked for, so that a column of names may stand
   beside them. */

enum { BML_CLASSIFY__MAX_COLUMNS = 4096 };

typedef struct bml_classify__csv { /* where a table of text is being read */
    char *next, *stop;             /* the next line, the end of the text (a NUL) */
    char *start, *end;             /* the line at hand */
    long line;
    char separator;
    const char *name;
} bml_classify__csv;

typedef struct bml_classify__cell {
    char *start, *end;
    int quoted;
} bml_classify__cell;

static int bml_classify__space(const bml_classify__csv *csv, char c) {
    return c != csv->separator && (c == ' ' || c == '\t' || c == '\r');
}

/* The next cell of the line from *next on, which moves behind it, to NULL after the last. 0 for a quote that is not
   closed, or with text after it. Nothing is changed. */
static int bml_classify__find_cell(bml_classify__cell *cell, char **next, const bml_classify__csv *csv) {
    char *s = *next;
    char *end = csv->end;
    while (s < end && bml_classify__space(csv, *s)) {
        s++;
    }
    cell->quoted = s < end && *s == '"';
    cell->start = s + cell->quoted;
    s = cell->start;
    while (s < end) {
        int quote = cell->quoted && *s == '"';
        int doubled = quote && s + 1 < end && s[1] == '"';
        if (quote && !doubled) {
            break;
        }
        if (!cell->quoted && *s == csv->separator) {
            break;
        }
        s += 1 + doubled;
    }
    if (cell->quoted && s == end) {
        return 0;
    }
    cell->end = s;
    s += cell->quoted;
    while (s < end && bml_classify__space(csv, *s)) {
        s++;
    }
    if (s < end && *s != csv->separator) {
        return 0;
    }
    while (!cell->quoted && cell->end > cell->start && bml_classify__space(csv, cell->end[-1])) {
        cell->end--;
    }
    *next = s < end ? s + 1 : NULL;
    return 1;
}

/* The text of a cell, ended with a NUL in place; a "" within quotes becomes one ". */
static char *bml_classify__cell_text(const bml_classify__cell *cell) {
    char *out = cell->start;
    for (char *in = cell->start; in < cell->end; in++) {
        *out++ = *in;
        if (cell->quoted && *in == '"') {
            in++;
        }
    }
    *out = 0;
    return cell->start;
}

/* The next line that is neither empty nor a comment; 0 after the last. */
static int bml_classify__next_line(bml_classify__csv *csv) {
    while (csv->next < csv->stop) {
        csv->start = csv->next;
        char *newline = (char *)memchr(csv->start, '\n', (size_t)(csv->stop - csv->start));
        csv->end = newline ? newline : csv->stop;
        csv->next = newline ? newline + 1 : csv->stop;
        csv->line++;
        char *s = csv->start;
        while (s < csv->end && (*s == ' ' || *s == '\t' || *s == '\r')) {
            s++;
        }
        if (s < csv->end && *s != '#') {
            return 1;
        }
    }
    return 0;
}

/* Nothing but text. */
static int bml_classify__check_text(const char *text, size_t size, const char *name, char *why) {
    long line = 1;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        int blank = c == '\t' || c == '\r' || c == '\n';
        line += c == '\n';
        if ((c >= ' ' || blank) && c != 127) {
            continue;
        }
        return bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE, "%.200s:%ld: not a text table (byte 0x%02x)", name, line,
                                  c);
    }
    return BML_CLASSIFY_OK;
}

/* Column names are there, and no two the same. */
static int bml_classify__check_names(const bml_classify_table *t, char *why) {
    for (int i = 0; i < t->n_columns; i++) {
        const char *name = t->column[i].name;
        if (!*name) {
            return bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE, "%.200s: column %d has no name", t->name, i + 1);
        }
        for (int k = 0; k < i; k++) {
            if (!bml_classify__same(name, t->column[k].name)) {
                continue;
            }
            return bml_classify__fail(why, BML_CLASSIFY_DUPLICATE, "%.200s: columns %d and %d are both named '%.60s'",
                                      t->name, k + 1, i + 1, name);
        }
    }
    return BML_CLASSIFY_OK;
}

/* The separator that the line of names holds most of, outside quotes; a comma for a single column. */
static char bml_classify__find_separator(const bml_classify__csv *csv) {
    static const char separators[] = ",;\t";
    int count[3] = {0, 0, 0};
    int quoted = 0;
    int best = 0;
    for (const char *s = csv->start; s < csv->end; s++) {
        quoted ^= *s == '"';
        for (int k = 0; k < 3; k++) {
            count[k] += !quoted && *s == separators[k];
        }
    }
    for (int k = 1; k < 3; k++) {
        if (count[k] > count[best]) {
            best = k;
        }
    }
    return separators[best];
}

/* The number of cells of the line at hand, or a status. */
static int bml_classify__count_cells(const bml_classify__csv *csv, char *why) {
    bml_classify__cell cell;
    int n = 0;
    for (char *next = csv->start; next; n++) {
        if (!bml_classify__find_cell(&cell, &next, csv)) {
            return bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE,
                                      "%.200s:%ld: column %d: a quote is not closed, or text stands after it",
                                      csv->name, csv->line, n + 1);
        }
    }
    if (n <= BML_CLASSIFY__MAX_COLUMNS) {
        return n;
    }
    return bml_classify__fail(why, BML_CLASSIFY_TOO_LARGE, "%.200s:%ld: %d columns, at most %d are read", csv->name,
                              csv->line, n, (int)BML_CLASSIFY__MAX_COLUMNS);
}

/* A table of text laid out for n columns, with a copy of the text; NULL without memory. */
static bml_classify_table *bml_classify__table_room(char **copy, const char *text, size_t size, int n) {
    bml_classify__room room = {NULL, 0};
    bml_classify_table *t;
    bml_classify_column *column;
    const char **cells;
    long *line;
    ptrdiff_t lines = 1;
    ptrdiff_t most = (ptrdiff_t)size / n + 1;
    for (size_t i = 0; i < size; i++) {
        lines += text[i] == '\n';
    }
    if (lines > most) {
        lines = most;
    }
    do {
        t = (bml_classify_table *)bml_classify__take(&room, 1, 1, sizeof *t);
        column = (bml_classify_column *)bml_classify__take(&room, n, 1, sizeof *column);
        cells = (const char **)bml_classify__take(&room, lines, n, sizeof *cells);
        line = (long *)bml_classify__take(&room, lines, 1, sizeof *line);
        *copy = (char *)bml_classify__take(&room, (ptrdiff_t)size + 1, 1, 1);
    } while (bml_classify__again(&room));
    if (!room.base) {
        return NULL;
    }
    memcpy(*copy, text, size);
    t->n_columns = n;
    t->column = column;
    t->line = line;
    for (int k = 0; k < n; k++) {
        column[k].text = cells + k * lines;
    }
    return t;
}

/* The names of the columns, then the rows. */
static int bml_classify__fill_table(bml_classify_table *t, bml_classify__csv *csv, char *why) {
    bml_classify__cell cell;
    char *next = csv->start;
    for (int k = 0; k < t->n_columns; k++) {
        bml_classify__find_cell(&cell, &next, csv);
        t->column[k].name = bml_classify__cell_text(&cell);
    }
    int status = bml_classify__check_names(t, why);
    while (!status && bml_classify__next_line(csv)) {
        int n = bml_classify__count_cells(csv, why);
        if (n < 0) {
            return n;
        }
        if (n != t->n_columns) {
            return bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE, "%.200s:%ld: %d cells, but %d column names", t->name,
                                      csv->line, n, t->n_columns);
        }
        next = csv->start;
        for (int k = 0; k < n; k++) {
            bml_classify__find_cell(&cell, &next, csv);
            t->column[k].text[t->n_rows] = bml_classify__cell_text(&cell);
        }
        t->line[t->n_rows++] = csv->line;
    }
    if (!status && !t->n_rows) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE, "%.200s: column names, but no rows", t->name);
    }
    return status;
}

/* Begins at the first line of text[size], behind a byte order mark. */
static void bml_classify__csv_start(bml_classify__csv *csv, char *text, size_t size, const char *name, char separator) {
    int mark = size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
    memset(csv, 0, sizeof *csv);
    csv->next = text + mark;
    csv->stop = text + size;
    csv->separator = separator;
    csv->name = name;
}

BML_CLASSIFY_DEF int bml_classify_table_parse(bml_classify_table **table, const char *text, size_t size,
                                              const char *name, char *why) {
    if (table) {
        *table = NULL;
    }
    bml_classify__no_message(why);
    if (!table || (!text && size) || !name) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "table, text or name is missing");
    }
    if (size >= INT_MAX) {
        return bml_classify__fail(why, BML_CLASSIFY_TOO_LARGE, "%.200s: more than 2 GiB", name);
    }
    int status = bml_classify__check_text(text, size, name, why);
    if (status) return status;
    char *copy = (char *)text; /* which is only looked at until there is a copy */
    bml_classify__csv csv;
    bml_classify__csv_start(&csv, copy, size, name, ',');
    if (!size || !bml_classify__next_line(&csv)) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE, "%.200s: no line of column names", name);
    }
    csv.separator = bml_classify__find_separator(&csv);
    int n = bml_classify__count_cells(&csv, why);
    if (n < 0) {
        return n;
    }
    bml_classify_table *t = bml_classify__table_room(&copy, text, size, n);
    if (!t) {
        return bml_classify__no_memory(why);
    }
    snprintf(t->name, sizeof t->name, "%.250s", name);
    bml_classify__csv_start(&csv, copy, size, t->name, csv.separator);
    bml_classify__next_line(&csv);
    status = bml_classify__fill_table(t, &csv, why);
    if (status) {
        bml_classify_table_free(t);
    } else {
        *table = t;
    }
    return status;
}

/* >> FITS tables

   Each column is described first; then one block is laid out for all that is kept, and filled. */

#ifdef BML_CLASSIFY_USE_CFITSIO
typedef struct bml_classify__fits_column {
    char name[FLEN_VALUE];
    int at; /* number in the file, from 1 */
    int is_text;
    int is_real; /* IEEE: infinities are values */
    long width;  /* of a text; numbers per row */
    int columns; /* that it becomes: 0 when it is of no use here */
} bml_classify__fits_column;

static int bml_classify__fits_fail(char *why, const char *path, const char *what, int code) {
    char text[FLEN_STATUS] = "";
    fits_get_errstatus(code, text);
    return bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE, "%.200s: %.80s: %s (cfitsio %d)", path, what, text, code);
}

/* What column number `at` is; 0, or cfitsio's code. */
static int bml_classify__describe(bml_classify__fits_column *c, fitsfile *f, int at) {
    char unit[FLEN_VALUE] = "";
    char type[FLEN_VALUE] = "";
    char null[FLEN_VALUE];
    char show[FLEN_VALUE];
    int code = 0;
    int kind = 0;
    int hdu = 0;
    long bytes = 0;
    long tnull = 0;
    double scale = 0;
    double zero = 0;
    memset(c, 0, sizeof *c);
    c->at = at;
    fits_get_hdu_type(f, &hdu, &code);
    if (hdu == BINARY_TBL) {
        fits_get_bcolparms(f, at, c->name, unit, type, &c->width, &scale, &zero, &tnull, show, &code);
    } else {
        fits_get_acolparms(f, at, c->name, &tnull, unit, type, &scale, &zero, null, show, &code);
    }
    fits_get_coltype(f, at, &kind, &c->width, &bytes, &code);
    if (!*c->name) {
        snprintf(c->name, sizeof c->name, "column_%d", at);
    }
    c->is_text = kind == TSTRING;
    c->is_real = hdu == BINARY_TBL && (kind == TFLOAT || kind == TDOUBLE);
    /* complex numbers and columns of varying length (negative kinds) are of no use here */
    int of_use = kind > 0 && kind != TCOMPLEX && kind != TDBLCOMPLEX && c->width > 0;
    if (c->is_text && c->width <= 65535) {
        c->columns = of_use;
    }
    if (!c->is_text && c->width <= 1000) {
        c->columns = of_use ? (int)c->width : 0;
    }
    return code;
}

/* One column of texts. */
static int bml_classify__fits_text(bml_classify_table *t, fitsfile *f, const bml_classify__fits_column *c, int to,
                                   char *why) {
    char blank[1] = "";
    int code = 0;
    int any;
    char **cell = (char **)t->column[to].text; /* cfitsio wants texts that it may write to; it writes what they hold */
    if (fits_read_col(f, TSTRING, c->at, 1, 1, t->n_rows, blank, cell, &any, &code)) {
        return bml_classify__fits_fail(why, t->name, c->name, code);
    }
    for (int i = 0; i < t->n_rows; i++) {
        char *end = cell[i] + strlen(cell[i]);
        while (end > cell[i] && end[-1] == ' ') {
            end--;
        }
        *end = 0;
        cell[i] += strspn(cell[i], " ");
    }
    return BML_CLASSIFY_OK;
}

/* One column of `width` numbers per row: as many columns from `to` on, row by row through all[n_rows][width]. */
static int bml_classify__fits_numbers(bml_classify_table *t, fitsfile *f, const bml_classify__fits_column *c, int to,
                                      double *all, char *why) {
    double missing = BML_CLASSIFY__NAN;
    LONGLONG count = (LONGLONG)t->n_rows * c->width;
    int code = 0;
    int any;
    /* asked for missing values, cfitsio takes infinities for such; IEEE reals need no asking */
    if (fits_read_col(f, TDOUBLE, c->at, 1, 1, count, c->is_real ? NULL : &missing, all, &any, &code)) {
        return bml_classify__fits_fail(why, t->name, c->name, code);
    }
    for (int i = 0; i < t->n_rows; i++) {
        for (int k = 0; k < c->columns; k++) {
            t->column[to + k].number[i] = all[bml_classify__at(i, c->columns) + k];
        }
    }
    return BML_CLASSIFY_OK;
}

/* The block of a table of `rows` rows with columns c[n]; NULL without memory. */
static bml_classify_table *bml_classify__fits_room(const bml_classify__fits_column *c, int n, int total, int rows) {
    bml_classify__room room = {NULL, 0};
    bml_classify_table *t;
    bml_classify_column *column;
    long *line;
    do {
        t = (bml_classify_table *)bml_classify__take(&room, 1, 1, sizeof *t);
        column = (bml_classify_column *)bml_classify__take(&room, total, 1, sizeof *column);
        line = (long *)bml_classify__take(&room, rows, 1, sizeof *line);
        int to = 0;
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < c[i].columns; k++) {
                char *name = (char *)bml_classify__take(&room, 1, FLEN_VALUE + 16, 1);
                double *number = bml_classify__take_doubles(&room, c[i].is_text ? 0 : rows, 1);
                const char **text = (const char **)bml_classify__take(&room, c[i].is_text ? rows : 0, 1, sizeof *text);
                char *cells = (char *)bml_classify__take(&room, c[i].is_text ? rows : 0, c[i].width + 1, 1);
                if (!name) {
                    continue; /* counting */
                }
                snprintf(name, FLEN_VALUE + 16, c[i].columns > 1 ? "%s_%d" : "%s", c[i].name, k + 1);
                column[to].name = name;
                column[to].number = c[i].is_text ? NULL : number;
                column[to].text = c[i].is_text ? text : NULL;
                for (int r = 0; r < rows && c[i].is_text; r++) {
                    text[r] = cells + r * (c[i].width + 1);
                }
                to++;
            }
        }
    } while (bml_classify__again(&room));
    if (!room.base) {
        return NULL;
    }
    t->n_rows = rows;
    t->n_columns = total;
    t->column = column;
    t->line = line;
    return t;
}

/* Describes the columns, lays out the table, fills it. */
static int bml_classify__fits_table(bml_classify_table **table, fitsfile *f, const char *path, int columns, int rows,
                                    char *why) {
    bml_classify__room room = {NULL, 0};
    bml_classify__fits_column *c;
    do
        c = (bml_classify__fits_column *)bml_classify__take(&room, columns, 1, sizeof *c);
    while (bml_classify__again(&room));
    if (!c) {
        return bml_classify__no_memory(why);
    }
    int status = BML_CLASSIFY_OK;
    int total = 0;
    int widest = 1;
    for (int i = 0; i < columns && !status; i++) {
        int code = bml_classify__describe(&c[i], f, i + 1);
        if (code) {
            status = bml_classify__fits_fail(why, path, "a column", code);
        }
        total += c[i].columns;
        widest = c[i].columns > widest ? c[i].columns : widest;
    }
    if (!status && total > BML_CLASSIFY__MAX_COLUMNS) {
        status = bml_classify__fail(why, BML_CLASSIFY_TOO_LARGE, "%.200s: more than %d columns", path,
                                    (int)BML_CLASSIFY__MAX_COLUMNS);
    }
    bml_classify_table *t = status ? NULL : bml_classify__fits_room(c, columns, total, rows);
    double *all = t ? (double *)bml_classify__grown(NULL, 0, bml_classify__at(rows, widest), sizeof *all) : NULL;
    if (!status && (!t || !all)) {
        status = bml_classify__no_memory(why);
    }
    if (t) {
        snprintf(t->name, sizeof t->name, "%.250s", path);
    }
    for (int i = 0; i < rows && !status; i++) {
        t->line[i] = i + 1;
    }
    for (int i = 0, to = 0; i < columns && !status; to += c[i++].columns) {
        if (!c[i].columns) {
            continue;
        }
        if (c[i].is_text) {
            status = bml_classify__fits_text(t, f, &c[i], to, why);
        } else {
            status = bml_classify__fits_numbers(t, f, &c[i], to, all, why);
        }
    }
    if (!status) {
        status = bml_classify__check_names(t, why);
    }
    BML_CLASSIFY_FREE(all);
    BML_CLASSIFY_FREE(room.base);
    if (status) {
        bml_classify_table_free(t);
    } else {
        *table = t;
    }
    return status;
}

static int bml_classify__read_fits(bml_classify_table **table, const char *path, char *why) {
    fitsfile *f = NULL;
    int code = 0;
    int columns = 0;
    long rows = 0;
    int status;
    if (fits_open_table(&f, path, READONLY, &code)) { /* the first extension that is a table */
        status = bml_classify__fits_fail(why, path, "no table in this file", code);
        code = 0;
        if (f) {
            fits_close_file(f, &code);
        }
        return status;
    }
    fits_get_num_rows(f, &rows, &code);
    fits_get_num_cols(f, &columns, &code);
    if (code) {
        status = bml_classify__fits_fail(why, path, "the table", code);
    } else if (rows < 1 || rows > 10000000 || columns < 1) {
        status = bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE, "%.200s: a table of %ld rows", path, rows);
    } else {
        status = bml_classify__fits_table(table, f, path, columns, (int)rows, why);
    }
    code = 0;
    fits_close_file(f, &code);
    return status;
}
#else
static int bml_classify__read_fits(bml_classify_table **table, const char *path, char *why) {
    (void)table;
    return bml_classify__fail(why, BML_CLASSIFY_NO_FITS,
                              "%.200s: a FITS file, and compiled without cfitsio (Debian: libcfitsio-dev)", path);
}
#endif

/* >> files

   A table comes from a file, plain or compressed; numbers are asked of it by column. */

/* A file, plain or compressed, through zlib where it is there. */
#ifdef BML_CLASSIFY_USE_ZLIB
typedef gzFile bml_classify__file;
static bml_classify__file bml_classify__open(const char *path) {
    return gzopen(path, "rb");
}
static ptrdiff_t bml_classify__read(bml_classify__file f, char *to, ptrdiff_t n) {
    return gzread(f, to, (unsigned)n);
}
static int bml_classify__close(bml_classify__file f) {
    return gzclose(f) == Z_BUF_ERROR; /* the stream goes on, and the file does not */
}
#else
typedef FILE *bml_classify__file;
static bml_classify__file bml_classify__open(const char *path) {
    return fopen(path, "rb");
}
static ptrdiff_t bml_classify__read(bml_classify__file f, char *to, ptrdiff_t n) {
    size_t got = fread(to, 1, (size_t)n, f);
    return ferror(f) ? -1 : (ptrdiff_t)got;
}
static int bml_classify__close(bml_classify__file f) {
    fclose(f);
    return 0;
}
#endif

static int bml_classify__begins_with(const char *data, ptrdiff_t size, const char *magic) {
    size_t n = strlen(magic);
    return size >= (ptrdiff_t)n && !memcmp(data, magic, n);
}

static const char bml_classify__fits_magic[] = "SIMPLE  =";
static const char bml_classify__gzip_magic[] = "\x1f\x8b";

/* data[size], malloc'ed, of the whole file, or of its beginning when that is FITS or stays compressed. */
static int bml_classify__load_file(char **data, ptrdiff_t *size, bml_classify__file f, const char *path, char *why) {
    ptrdiff_t room = 0;
    ptrdiff_t got = 0;
    *data = NULL;
    *size = 0;
    while (got >= 0 && *size == room) {
        room = room ? 2 * room : 1 << 16;
        char *more = room < INT_MAX ? (char *)bml_classify__grown(*data, *size, room, 1) : NULL;
        BML_CLASSIFY_FREE(*data);
        *data = more;
        if (!more) {
            return bml_classify__no_memory(why);
        }
        got = bml_classify__read(f, *data + *size, room - *size);
        *size += got > 0 ? got : 0;
        if (bml_classify__begins_with(*data, *size, bml_classify__fits_magic)) {
            break;
        }
        if (bml_classify__begins_with(*data, *size, bml_classify__gzip_magic)) {
            break;
        }
    }
    if (got >= 0) {
        return BML_CLASSIFY_OK;
    }
    return bml_classify__fail(why, BML_CLASSIFY_NO_FILE, "%.200s: cannot be read, or a damaged .gz", path);
}

/* A file that begins like gzip's after reading: without zlib. cfitsio unpacks its own. */
static int bml_classify__read_compressed(bml_classify_table **table, const char *path, char *why) {
#ifdef BML_CLASSIFY_USE_CFITSIO
    int code = 0;
    fitsfile *f = NULL;
    int is_fits = !fits_open_file(&f, path, READONLY, &code);
    code = 0;
    if (f) {
        fits_close_file(f, &code);
    }
    if (is_fits) {
        return bml_classify__read_fits(table, path, why);
    }
#endif
    (void)table;
    return bml_classify__fail(why, BML_CLASSIFY_NO_ZLIB,
                              "%.200s: compressed, and compiled without zlib: unpack it with gunzip first", path);
}

BML_CLASSIFY_DEF int bml_classify_table_read(bml_classify_table **table, const char *path, char *why) {
    if (table) {
        *table = NULL;
    }
    bml_classify__no_message(why);
    if (!table || !path) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "table or path is missing");
    }
    bml_classify__file f = bml_classify__open(path);
    if (!f) {
        return bml_classify__fail(why, BML_CLASSIFY_NO_FILE, "%.200s: cannot be opened", path);
    }
    char *data;
    ptrdiff_t size;
    int status = bml_classify__load_file(&data, &size, f, path, why);
    int cut_short = bml_classify__close(f);
    if (!status) {
        if (bml_classify__begins_with(data, size, bml_classify__fits_magic)) {
            status = bml_classify__read_fits(table, path, why);
        } else if (bml_classify__begins_with(data, size, bml_classify__gzip_magic)) {
            status = bml_classify__read_compressed(table, path, why);
        } else if (cut_short) {
            status = bml_classify__fail(why, BML_CLASSIFY_NO_FILE, "%.200s: a .gz that is cut short", path);
        } else {
            status = bml_classify_table_parse(table, data, (size_t)size, path, why);
        }
    }
    BML_CLASSIFY_FREE(data);
    return status;
}

BML_CLASSIFY_DEF void bml_classify_table_free(bml_classify_table *table) {
    BML_CLASSIFY_FREE(table);
}

BML_CLASSIFY_DEF int bml_classify_table_find(const bml_classify_table *table, const char *name) {
    if (!table || !name) {
        return -1;
    }
    for (int i = 0; i < table->n_columns; i++) {
        if (bml_classify__same(table->column[i].name, name)) {
            return i;
        }
    }
    return -1;
}

BML_CLASSIFY_DEF int bml_classify_table_numbers(double *out, const bml_classify_table *table, int column, char *why) {
    if (!out || !table || column < 0 || column >= table->n_columns) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "no column %d", column + 1);
    }
    const bml_classify_column *c = &table->column[column];
    for (int i = 0; i < table->n_rows; i++) {
        char shown[64] = "";
        const char *wrong = NULL;
        if (c->text) {
            wrong = bml_classify__number(&out[i], c->text[i]);
            snprintf(shown, sizeof shown, "%.60s", c->text[i]);
        } else {
            out[i] = c->number[i];
            if (isfinite(out[i]) && fabs(out[i]) > bml_classify__largest) {
                wrong = "is beyond 1e100: no measurement";
            }
            if (wrong) {
                snprintf(shown, sizeof shown, "%g", out[i]);
            }
        }
        if (!wrong) {
            continue;
        }
        return bml_classify__fail(why, BML_CLASSIFY_BAD_VALUE, "%.200s:%ld: %.60s: '%s' %s", table->name,
                                  table->line[i], c->name, shown, wrong);
    }
    return BML_CLASSIFY_OK;
}

/* A text of any column: a number becomes "" (names and classes are texts in every catalogue). */
static const char *bml_classify__text(const bml_classify_table *t, int column, int row) {
    if (column < 0 || !t->column[column].text) {
        return "";
    }
    return t->column[column].text[row];
}

/* out[n_rows][stride] of column `name`; NaN throughout where it is absent. */
static int bml_classify__column(double *out, int stride, const bml_classify_table *t, const char *name, char *why) {
    int at = bml_classify_table_find(t, name);
    for (int i = 0; at < 0 && i < t->n_rows; i++) {
        out[bml_classify__at(i, stride)] = BML_CLASSIFY__NAN;
    }
    if (at < 0) {
        return BML_CLASSIFY_OK;
    }
    bml_classify__room room = {NULL, 0};
    double *value;
    do
        value = bml_classify__take_doubles(&room, t->n_rows, 1);
    while (bml_classify__again(&room));
    if (!value) {
        return bml_classify__no_memory(why);
    }
    int status = bml_classify_table_numbers(value, t, at, why);
    for (int i = 0; i < t->n_rows; i++) {
        out[bml_classify__at(i, stride)] = value[i];
    }
    BML_CLASSIFY_FREE(room.base);
    return status;
}

/* >> catalogues

   One pass over the table by column names, one over the values to count what the rules will meet. */

/* The catalogue's own fits: columns, under the names of this and of later releases, and what is made of them. */
typedef struct bml_classify__quantity {
    const char *column, *or_column; /* NULL: no other name */
    const char *feature;
    int group;
    double floor; /* above 0: log10 of the value, and of this where the value is smaller */
} bml_classify__quantity;
static const bml_classify__quantity bml_classify__quantities[BML_CLASSIFY_QUANTITIES] = {
    {"Signif_Avg", NULL, "catalog_significance", BML_CLASSIFY_ENERGY, 0.1},
    {"Signif_Peak", NULL, "catalog_peak", BML_CLASSIFY_TIME, 0.1},
    {"Pivot_Energy", NULL, "catalog_pivot_energy", BML_CLASSIFY_ENERGY, 1},
    {"Flux1000", NULL, "catalog_flux1000", BML_CLASSIFY_ENERGY, 1e-14},
    {"Unc_Flux1000", NULL, "catalog_flux1000_error", BML_CLASSIFY_ENERGY, 1e-14},
    {"Energy_Flux100", NULL, "catalog_energy_flux", BML_CLASSIFY_ENERGY, 1e-16},
    {"Unc_Energy_Flux100", NULL, "catalog_energy_flux_error", BML_CLASSIFY_ENERGY, 1e-16},
    {"PL_Index", "Spectral_Index", "catalog_index", BML_CLASSIFY_ENERGY, 0},
    {"Unc_PL_Index", "Unc_Spectral_Index", "catalog_index_error", BML_CLASSIFY_ENERGY, 1e-4},
    {"LP_Index", NULL, "catalog_lp_index", BML_CLASSIFY_ENERGY, 0},
    {"LP_beta", "beta", "catalog_lp_beta", BML_CLASSIFY_ENERGY, 0},
    {"LP_SigCurv", "Signif_Curve", "catalog_curvature", BML_CLASSIFY_ENERGY, 0.1},
    {"PLEC_Index", "PLEC_IndexS", "catalog_plec_index", BML_CLASSIFY_ENERGY, 0},
    {"PLEC_SigCurv", NULL, "catalog_plec_curvature", BML_CLASSIFY_ENERGY, 0.1},
    {"Variability_Index", NULL, "catalog_variability", BML_CLASSIFY_TIME, 1},
    {"Frac_Variability", NULL, "catalog_fraction", BML_CLASSIFY_TIME, 1e-3}};

/* How many columns PREFIX_1, PREFIX_2, ... there are. */
static int bml_classify__count_columns(const bml_classify_table *t, const char *prefix) {
    char name[64];
    for (int n = 0; n < 1000; n++) {
        snprintf(name, sizeof name, "%s_%d", prefix, n + 1);
        if (bml_classify_table_find(t, name) < 0) {
            return n;
        }
    }
    return 1000;
}

/* The block of a catalogue for the table; NULL without memory. */
static bml_classify_catalog *bml_classify__catalog_room(const bml_classify_table *t) {
    bml_classify__room room = {NULL, 0};
    bml_classify_catalog c;
    bml_classify_catalog *self;
    memset(&c, 0, sizeof c);
    c.n = t->n_rows;
    c.n_bands = bml_classify__count_columns(t, "Flux_Band");
    c.n_years = bml_classify__count_columns(t, "Flux_History");
    do {
        self = (bml_classify_catalog *)bml_classify__take(&room, 1, 1, sizeof c);
        c.name = bml_classify__take_names(&room, c.n);
        c.label = bml_classify__take_names(&room, c.n);
        c.association = bml_classify__take_names(&room, c.n);
        c.kind = bml_classify__take_ints(&room, c.n);
        c.pulsar = bml_classify__take_ints(&room, c.n);
        c.release = bml_classify__take_ints(&room, c.n);
        c.lon = bml_classify__take_doubles(&room, c.n, 1);
        c.lat = bml_classify__take_doubles(&room, c.n, 1);
        c.ra = bml_classify__take_doubles(&room, c.n, 1);
        c.dec = bml_classify__take_doubles(&room, c.n, 1);
        c.flux = bml_classify__take_doubles(&room, c.n, c.n_bands);
        c.flux_error = bml_classify__take_doubles(&room, c.n, c.n_bands);
        c.sqrt_ts = bml_classify__take_doubles(&room, c.n, c.n_bands);
        c.history = bml_classify__take_doubles(&room, c.n, c.n_years);
        c.history_error = bml_classify__take_doubles(&room, c.n, c.n_years);
        c.variability = bml_classify__take_doubles(&room, c.n, 1);
        c.curvature = bml_classify__take_doubles(&room, c.n, 1);
        c.quantity = bml_classify__take_doubles(&room, c.n, BML_CLASSIFY_QUANTITIES);
    } while (bml_classify__again(&room));
    if (room.base) {
        *self = c;
    }
    return room.base ? self : NULL;
}

/* PREFIX_1 ... PREFIX_n into out[rows][n]; of errors (lower, upper in turn) those from `first` = 1 or 2 on. */
static int bml_classify__columns(double *out, int n, const bml_classify_table *t, const char *prefix, int first,
                                 int step, char *why) {
    char name[64];
    int status = BML_CLASSIFY_OK;
    for (int k = 0; k < n && !status; k++) {
        snprintf(name, sizeof name, "%s_%d", prefix, first + step * k);
        status = bml_classify__column(out + k, n, t, name, why);
    }
    return status;
}

static int bml_classify__no_column(const bml_classify_table *t, const char *name, char *why) {
    return bml_classify__fail(why, BML_CLASSIFY_NO_COLUMN, "%.200s: no column %s", t->name, name);
}

/* A class that is not known here: counted as other, and said. */
static void bml_classify__unknown_class(bml_classify_catalog *c, const bml_classify_table *t, int column, int row) {
    c->kind[row] = BML_CLASSIFY_OTHER;
    if (c->n_unknown++) {
        return;
    }
    snprintf(c->warning, sizeof c->warning, "%.200s:%ld: %.60s: '%.40s' is no class known here, counted as other",
             t->name, t->line[row], t->column[column].name, c->label[row]);
}

/* Names, classes, and what identifies a row. */
static int bml_classify__catalog_names(bml_classify_catalog *c, const bml_classify_table *t, char *why) {
    int name = bml_classify_table_find(t, "Source_Name");
    int label = bml_classify_table_find(t, "CLASS1");
    int association = bml_classify_table_find(t, "ASSOC1");
    int any_msp = 0;
    if (label < 0) {
        label = bml_classify_table_find(t, "CLASS");
    }
    if (name < 0) {
        return bml_classify__no_column(t, "Source_Name", why);
    }
    if (label < 0) {
        return bml_classify__no_column(t, "CLASS1", why);
    }
    for (int i = 0; i < c->n; i++) {
        snprintf(c->name[i], sizeof *c->name, "%.47s", bml_classify__text(t, name, i));
        snprintf(c->label[i], sizeof *c->label, "%.47s", bml_classify__text(t, label, i));
        snprintf(c->association[i], sizeof *c->association, "%.47s", bml_classify__text(t, association, i));
        c->kind[i] = bml_classify_kind(c->label[i]);
        if (c->kind[i] < 0) {
            bml_classify__unknown_class(c, t, label, i);
        }
        any_msp |= bml_classify__same(c->label[i], "msp");
        if (*c->name[i]) {
            continue;
        }
        return bml_classify__fail(why, BML_CLASSIFY_BAD_VALUE, "%.200s:%ld: Source_Name is empty", t->name, t->line[i]);
    }
    for (int i = 0; i < c->n && any_msp; i++) {
        int fast = bml_classify__same(c->label[i], "msp");
        if (c->kind[i] == BML_CLASSIFY_PSR) {
            c->pulsar[i] = fast ? BML_CLASSIFY_MILLISECOND : BML_CLASSIFY_YOUNG;
        }
    }
    return BML_CLASSIFY_OK;
}

typedef struct bml_classify__named {
    const char *name;
    int row;
} bml_classify__named;

static int bml_classify__by_name(const void *a, const void *b) {
    const bml_classify__named *x = (const bml_classify__named *)a;
    const bml_classify__named *y = (const bml_classify__named *)b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

static void bml_classify__sort_names(bml_classify__named *list, int n) {
    qsort(list, (size_t)n, sizeof *list, bml_classify__by_name);
}

/* A block of n names with their rows, in order; NULL without memory. */
static bml_classify__named *bml_classify__sorted(bml_classify__name *name, int n) {
    bml_classify__named *list = (bml_classify__named *)bml_classify__grown(NULL, 0, n, sizeof *list);
    if (!list) {
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        list[i].name = name[i];
        list[i].row = i;
    }
    bml_classify__sort_names(list, n);
    return list;
}

/* The row of that name, or -1. */
static int bml_classify__lookup(const bml_classify__named *sorted, int n, const char *name) {
    int lo = 0;
    int hi = n;
    while (lo < hi) {
        int middle = (lo + hi) / 2;
        if (strcmp(sorted[middle].name, name) < 0) {
            lo = middle + 1;
        } else {
            hi = middle;
        }
    }
    return lo < n && !strcmp(sorted[lo].name, name) ? sorted[lo].row : -1;
}

static int bml_classify__no_duplicates(const bml_classify_catalog *c, const bml_classify_table *t, char *why) {
    bml_classify__named *s = bml_classify__sorted(c->name, c->n);
    int status = BML_CLASSIFY_OK;
    if (!s) {
        return bml_classify__no_memory(why);
    }
    for (int i = 1; i < c->n && !status; i++) {
        if (strcmp(s[i].name, s[i - 1].name)) {
            continue;
        }
        long line = t->line[s[i].row];
        long other = t->line[s[i - 1].row];
        status =
            bml_classify__fail(why, BML_CLASSIFY_DUPLICATE, "%.200s:%ld: Source_Name: '%.40s' stands in line %ld too",
                               t->name, line, s[i].name, other);
    }
    BML_CLASSIFY_FREE(s);
    return status;
}

/* Counts value[n]; lower[n] errors or NULL: NaN there is an upper limit. Infinite values become NaN: missing. */
static void bml_classify__count(bml_classify_report *r, const char *what, double *value, const double *lower,
                                ptrdiff_t n) {
    memset(r, 0, sizeof *r);
    r->what = what;
    r->rule = "NaN and infinite: missing";
    r->n = (long)n;
    for (ptrdiff_t i = 0; i < n; i++) {
        int infinite = isinf(value[i]) != 0;
        r->n_nan += isnan(value[i]) != 0;
        r->n_infinite += infinite;
        r->n_zero += value[i] == 0;
        r->n_negative += value[i] < 0 && !infinite;
        r->n_limits += lower && isnan(lower[i]) && isfinite(value[i]);
        if (infinite) {
            value[i] = BML_CLASSIFY__NAN;
        }
    }
}

/* The report on fluxes value[n][k], with the lower errors PREFIX_1, PREFIX_3, ... where they are all there: the report
   needs them, the features do not. */
static int bml_classify__report_flux(bml_classify_report *r, const char *what, double *value, const char *prefix, int k,
                                     const bml_classify_table *t, char *why) {
    bml_classify__room room = {NULL, 0};
    char name[64];
    int given = 1;
    double *lower;
    do
        lower = bml_classify__take_doubles(&room, t->n_rows, k);
    while (bml_classify__again(&room));
    if (!room.base) {
        return bml_classify__no_memory(why);
    }
    for (int i = 0; i < k; i++) {
        snprintf(name, sizeof name, "%s_%d", prefix, 2 * i + 1);
        given = given && bml_classify_table_find(t, name) >= 0;
    }
    int status = bml_classify__columns(lower, k, t, prefix, 1, 2, why);
    if (!status) {
        bml_classify__count(r, what, value, given ? lower : NULL, bml_classify__at(t->n_rows, k));
    }
    r->rule = "NaN and infinite: missing; zero, negative, limits: kept, floored in logarithms";
    BML_CLASSIFY_FREE(room.base);
    return status;
}

/* Fluxes, their errors and significances, as far as the file has them. */
static int bml_classify__catalog_fluxes(bml_classify_catalog *c, const bml_classify_table *t, char *why) {
    ptrdiff_t bands = bml_classify__at(c->n, c->n_bands);
    ptrdiff_t years = bml_classify__at(c->n, c->n_years);
    bml_classify_report *r = c->report;
    if (!c->n_bands && !c->n_years) {
        return bml_classify__no_column(t, "Flux_Band_1 and none Flux_History_1", why);
    }
    int s = bml_classify__columns(c->flux, c->n_bands, t, "Flux_Band", 1, 1, why);
    if (!s) {
        s = bml_classify__columns(c->history, c->n_years, t, "Flux_History", 1, 1, why);
    }
    if (!s) {
        s = bml_classify__columns(c->flux_error, c->n_bands, t, "Unc_Flux_Band", 2, 2, why);
    }
    if (!s) {
        s = bml_classify__columns(c->history_error, c->n_years, t, "Unc_Flux_History", 2, 2, why);
    }
    if (!s) {
        s = bml_classify__columns(c->sqrt_ts, c->n_bands, t, "Sqrt_TS_Band", 1, 1, why);
    }
    if (!s) {
        s = bml_classify__report_flux(&r[0], "Flux_Band", c->flux, "Unc_Flux_Band", c->n_bands, t, why);
    }
    if (!s) {
        s = bml_classify__report_flux(&r[1], "Flux_History", c->history, "Unc_Flux_History", c->n_years, t, why);
    }
    if (s) {
        return s;
    }
    bml_classify__count(&r[2], "Unc_Flux_Band (upper)", c->flux_error, NULL, bands);
    bml_classify__count(&r[3], "Unc_Flux_History (upper)", c->history_error, NULL, years);
    bml_classify__count(&r[4], "Sqrt_TS_Band", c->sqrt_ts, NULL, bands);
    return BML_CLASSIFY_OK;
}

/* The columns of the catalogue's own fits. */
static int bml_classify__catalog_quantities(bml_classify_catalog *c, const bml_classify_table *t, char *why) {
    int status = BML_CLASSIFY_OK;
    for (int q = 0; q < BML_CLASSIFY_QUANTITIES && !status; q++) {
        const bml_classify__quantity *of = &bml_classify__quantities[q];
        const char *name = bml_classify_table_find(t, of->column) < 0 && of->or_column ? of->or_column : of->column;
        status = bml_classify__column(c->quantity + q, BML_CLASSIFY_QUANTITIES, t, name, why);
        for (int i = 0; i < c->n; i++) {
            c->has_quantity[q] |= isfinite(c->quantity[bml_classify__at(i, BML_CLASSIFY_QUANTITIES) + q]) != 0;
        }
    }
    return status;
}

static int bml_classify__catalog_places(bml_classify_catalog *c, const bml_classify_table *t, double *release,
                                        char *why) {
    if (bml_classify_table_find(t, "GLAT") < 0) {
        return bml_classify__no_column(t, "GLAT", why);
    }
    int s = bml_classify__column(c->lat, 1, t, "GLAT", why);
    if (!s) {
        s = bml_classify__column(c->lon, 1, t, "GLON", why);
    }
    if (!s) {
        s = bml_classify__column(c->ra, 1, t, "RAJ2000", why);
    }
    if (!s) {
        s = bml_classify__column(c->dec, 1, t, "DEJ2000", why);
    }
    if (!s) {
        s = bml_classify__column(c->variability, 1, t, "Variability_Index", why);
    }
    if (!s) {
        s = bml_classify__column(c->curvature, 1, t, "LP_SigCurv", why);
    }
    if (!s) {
        s = bml_classify__column(release, 1, t, "DataRelease", why);
    }
    for (int i = 0; i < c->n && !s; i++) {
        c->release[i] = release[i] > 0 && release[i] < 1000 ? (int)release[i] : 0;
        if (c->lat[i] >= -90 && c->lat[i] <= 90) {
            continue;
        }
        s = bml_classify__fail(why, BML_CLASSIFY_BAD_VALUE, "%.200s:%ld: GLAT: %g is no latitude", t->name, t->line[i],
                               c->lat[i]);
    }
    return s;
}

BML_CLASSIFY_DEF int bml_classify_catalog_create(bml_classify_catalog **catalog, const bml_classify_table *table,
                                                 char *why) {
    if (catalog) {
        *catalog = NULL;
    }
    bml_classify__no_message(why);
    if (!catalog || !table || table->n_rows < 1) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "catalog or table is missing");
    }
    bml_classify_catalog *c = bml_classify__catalog_room(table);
    double *release = (double *)bml_classify__grown(NULL, 0, table->n_rows, sizeof *release);
    int status = c && release ? BML_CLASSIFY_OK : bml_classify__no_memory(why);
    if (!status) {
        status = bml_classify__catalog_names(c, table, why);
    }
    if (!status) {
        status = bml_classify__no_duplicates(c, table, why);
    }
    if (!status) {
        status = bml_classify__catalog_places(c, table, release, why);
    }
    if (!status) {
        status = bml_classify__catalog_fluxes(c, table, why);
    }
    if (!status) {
        status = bml_classify__catalog_quantities(c, table, why);
    }
    BML_CLASSIFY_FREE(release);
    if (status) {
        bml_classify_catalog_free(c);
    } else {
        *catalog = c;
    }
    return status;
}

BML_CLASSIFY_DEF void bml_classify_catalog_free(bml_classify_catalog *catalog) {
    BML_CLASSIFY_FREE(catalog);
}

BML_CLASSIFY_DEF int bml_classify_kind(const char *label) {
    static const struct {
        const char *label;
        int kind;
    } known[] = {
        {"", BML_CLASSIFY_BLANK},          {"unk", BML_CLASSIFY_UNKNOWN},
        {"bcu", BML_CLASSIFY_BCU},         {"bll", BML_CLASSIFY_BLL},
        {"fsrq", BML_CLASSIFY_FSRQ},       {"rdg", BML_CLASSIFY_OTHER_AGN},
        {"agn", BML_CLASSIFY_OTHER_AGN},   {"css", BML_CLASSIFY_OTHER_AGN},
        {"nlsy1", BML_CLASSIFY_OTHER_AGN}, {"ssrq", BML_CLASSIFY_OTHER_AGN},
        {"sey", BML_CLASSIFY_OTHER_AGN},   {"psr", BML_CLASSIFY_PSR},
        {"msp", BML_CLASSIFY_PSR},         {"pwn", BML_CLASSIFY_OTHER},
        {"snr", BML_CLASSIFY_OTHER},       {"spp", BML_CLASSIFY_OTHER},
        {"glc", BML_CLASSIFY_OTHER},       {"hmb", BML_CLASSIFY_OTHER},
        {"lmb", BML_CLASSIFY_OTHER},       {"bin", BML_CLASSIFY_OTHER},
        {"nov", BML_CLASSIFY_OTHER},       {"sfr", BML_CLASSIFY_OTHER},
        {"gal", BML_CLASSIFY_OTHER},       {"sbg", BML_CLASSIFY_OTHER},
        {"gc", BML_CLASSIFY_OTHER},        {NULL, 0},
    };
    for (int i = 0; label && known[i].label; i++) {
        if (bml_classify__same(label, known[i].label)) {
            return known[i].kind;
        }
    }
    return -1;
}

/* >> pulsars and other tables

   Rows of other tables find their source by its name, or by its place on the sky. */

/* young or millisecond, by is_msp and the period [ms], NaN where unknown; 0 when neither says. */
static int bml_classify__pulsar_kind(double is_msp, double period) {
    static const double longest = 30; /* [ms] */
    if (is_msp == 1) {
        return BML_CLASSIFY_MILLISECOND;
    }
    if (is_msp == 0) {
        return BML_CLASSIFY_YOUNG;
    }
    if (!(period > 0)) {
        return BML_CLASSIFY_NO_PULSAR;
    }
    return period < longest ? BML_CLASSIFY_MILLISECOND : BML_CLASSIFY_YOUNG;
}

/* Marks the sources of the list. marked[n] is where the list has spoken: its first word on a source counts. */
static int bml_classify__mark_pulsars(bml_classify_catalog *c, const bml_classify_table *list, double *msp,
                                      double *period, int *marked, char *why) {
    int name = bml_classify_table_find(list, "Source_Name");
    int psr = bml_classify_table_find(list, "PSR");
    int s = bml_classify__column(msp, 1, list, "is_msp", why);
    if (!s) {
        s = bml_classify__column(period, 1, list, "P_ms", why);
    }
    if (s) {
        return s;
    }
    bml_classify__named *by_name = bml_classify__sorted(c->name, c->n);
    bml_classify__named *by_psr = bml_classify__sorted(c->association, c->n);
    if (!by_name || !by_psr) {
        s = bml_classify__no_memory(why);
    }
    for (int i = 0; i < list->n_rows && !s; i++) {
        const char *own = bml_classify__text(list, name, i);
        const char *other = bml_classify__text(list, psr, i);
        int kind = bml_classify__pulsar_kind(msp[i], period[i]);
        int row = *own ? bml_classify__lookup(by_name, c->n, own) : -1;
        if (row < 0 && *other) {
            row = bml_classify__lookup(by_psr, c->n, other);
        }
        if (row < 0 || c->kind[row] != BML_CLASSIFY_PSR || marked[row] || !kind) {
            continue;
        }
        c->pulsar[row] = kind;
        marked[row] = 1;
    }
    BML_CLASSIFY_FREE(by_name);
    BML_CLASSIFY_FREE(by_psr);
    return s;
}

BML_CLASSIFY_DEF int bml_classify_match_pulsars(int *n_young, int *n_millisecond, bml_classify_catalog *c,
                                                const bml_classify_table *list, char *why) {
    bml_classify__no_message(why);
    if (!n_young || !n_millisecond || !c || !list) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "catalog or list is missing");
    }
    int named = bml_classify_table_find(list, "Source_Name") >= 0 || bml_classify_table_find(list, "PSR") >= 0;
    int timed = bml_classify_table_find(list, "is_msp") >= 0 || bml_classify_table_find(list, "P_ms") >= 0;
    if (!named || !timed) {
        return bml_classify__fail(why, BML_CLASSIFY_NO_COLUMN, "%.200s: needs Source_Name or PSR, and is_msp or P_ms",
                                  list->name);
    }
    bml_classify__room room = {NULL, 0};
    double *msp;
    double *period;
    int *marked;
    do {
        msp = bml_classify__take_doubles(&room, list->n_rows, 1);
        period = bml_classify__take_doubles(&room, list->n_rows, 1);
        marked = bml_classify__take_ints(&room, c->n);
    } while (bml_classify__again(&room));
    if (!room.base) {
        return bml_classify__no_memory(why);
    }
    int status = bml_classify__mark_pulsars(c, list, msp, period, marked, why);
    BML_CLASSIFY_FREE(room.base);
    *n_young = 0;
    *n_millisecond = 0;
    for (int i = 0; i < c->n; i++) {
        *n_young += c->pulsar[i] == BML_CLASSIFY_YOUNG;
        *n_millisecond += c->pulsar[i] == BML_CLASSIFY_MILLISECOND;
    }
    return status;
}

/* By name: each row of the table finds its source. */
static int bml_classify__join_names(int *match, const bml_classify_catalog *c, const bml_classify_table *t, char *why) {
    int at = bml_classify_table_find(t, "Source_Name");
    int found = 0;
    bml_classify__named *sorted = bml_classify__sorted(c->name, c->n);
    if (!sorted) {
        return bml_classify__no_memory(why);
    }
    for (int i = 0; i < t->n_rows && found >= 0; i++) {
        const char *name = bml_classify__text(t, at, i);
        int row = bml_classify__lookup(sorted, c->n, name);
        if (row < 0) {
            continue;
        }
        if (match[row] >= 0) {
            found = bml_classify__fail(why, BML_CLASSIFY_DUPLICATE,
                                       "%.200s:%ld: Source_Name: '%.40s' stands in line %ld too", t->name, t->line[i],
                                       name, t->line[match[row]]);
            break;
        }
        match[row] = i;
        found++;
    }
    BML_CLASSIFY_FREE(sorted);
    return found;
}

/* Angles of [deg] as a unit vector. */
static void bml_classify__direction(double *v, double lon, double lat) {
    static const double degree = 0.017453292519943295;
    v[0] = cos(lat * degree) * cos(lon * degree);
    v[1] = cos(lat * degree) * sin(lon * degree);
    v[2] = sin(lat * degree);
}

/* By place: each source takes the row nearest to it, by the square of the chord, 2 sin(angle/2). v[n_rows][3]. */
static int bml_classify__join_places(int *match, const double *lon, const double *lat, int n, const double *v,
                                     int n_rows, double radius) {
    double chord = 2 * sin(0.5 * radius * 0.017453292519943295);
    int found = 0;
    for (int i = 0; i < n; i++) {
        double u[3];
        double least = chord * chord * (1 + 1e-9);
        bml_classify__direction(u, lon[i], lat[i]);
        for (int k = 0; k < n_rows; k++) {
            double r = bml_classify__distance2(u, v + bml_classify__at(k, 3), 3);
            if (!(r <= least)) {
                continue;
            }
            least = r;
            match[i] = k;
        }
        found += match[i] >= 0;
    }
    return found;
}

/* The table's columns of longitude and latitude, in a frame that the catalogue has too; 0 when there are none. */
static int bml_classify__find_places(const char **lon, const char **lat, int *galactic, const bml_classify_catalog *c,
                                     const bml_classify_table *t) {
    static const char *const pairs[][2] = {
        {"RAJ2000", "DEJ2000"}, {"RAJ2000", "DECJ2000"}, {"RA", "DEC"}, {"RA_deg", "DEC_deg"}, {"GLON", "GLAT"}};
    for (int i = 0; i < 5; i++) {
        *lon = pairs[i][0];
        *lat = pairs[i][1];
        *galactic = i == 4;
        if (!isfinite(*galactic ? c->lon[0] : c->ra[0])) {
            continue;
        }
        if (bml_classify_table_find(t, *lon) >= 0 && bml_classify_table_find(t, *lat) >= 0) {
            return 1;
        }
    }
    return 0;
}

BML_CLASSIFY_DEF int bml_classify_join(int *match, const bml_classify_catalog *c, const bml_classify_table *t,
                                       double radius, char *why) {
    bml_classify__no_message(why);
    if (!match || !c || !t) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "catalog or table is missing");
    }
    for (int i = 0; i < c->n; i++) {
        match[i] = -1;
    }
    if (bml_classify_table_find(t, "Source_Name") >= 0) {
        return bml_classify__join_names(match, c, t, why);
    }
    const char *lon;
    const char *lat;
    int galactic;
    if (!bml_classify__find_places(&lon, &lat, &galactic, c, t)) {
        return bml_classify__no_column(t, "Source_Name, and none of RAJ2000 and DEJ2000, RA and DEC, GLON and GLAT",
                                       why);
    }
    if (!(radius > 0 && radius <= 180)) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "radius = %g: must be in (0, 180] deg", radius);
    }
    bml_classify__room room = {NULL, 0};
    double *x;
    double *y;
    double *v;
    do {
        x = bml_classify__take_doubles(&room, t->n_rows, 1);
        y = bml_classify__take_doubles(&room, t->n_rows, 1);
        v = bml_classify__take_doubles(&room, t->n_rows, 3);
    } while (bml_classify__again(&room));
    if (!room.base) {
        return bml_classify__no_memory(why);
    }
    int status = bml_classify__column(x, 1, t, lon, why);
    if (!status) {
        status = bml_classify__column(y, 1, t, lat, why);
    }
    for (int i = 0; i < t->n_rows && !status; i++) {
        bml_classify__direction(v + bml_classify__at(i, 3), x[i], y[i]);
    }
    if (!status) {
        status = bml_classify__join_places(match, galactic ? c->lon : c->ra, galactic ? c->lat : c->dec, c->n, v,
                                           t->n_rows, radius);
    }
    BML_CLASSIFY_FREE(room.base);
    return status;
}

/* >> features

   Written one column after the other into x[n][d]; a first pass, without data, counts the columns. */

typedef struct bml_classify__maker {
    bml_classify_data *data; /* NULL: count */
    const bml_classify_catalog *c;
    double *band_floor; /* [n_bands] flux below which logarithms stop */
    double *error;      /* [n_bands] what counts for an error that is missing */
    double *scratch;    /* [n_bands] */
    double year_floor;
    int d;
} bml_classify__maker;

/* Begins a column and names it WHAT, or WHAT_number; its first element, NULL in the counting pass. */
static double *bml_classify__new_column(bml_classify__maker *m, int group, const char *what, int number) {
    int k = m->d++;
    if (!m->data) {
        return NULL;
    }
    m->data->group[k] = group;
    char *name = m->data->feature[k];
    if (number) {
        snprintf(name, BML_CLASSIFY_NAME, "%.30s_%d", what, number);
    } else {
        snprintf(name, BML_CLASSIFY_NAME, "%.30s", what);
    }
    return m->data->x + k;
}

/* A tenth of the median upper error of value[n][k], over columns first ... last - 1. Without errors, a thousandth of
   the median flux above zero. */
static double bml_classify__floor(const double *value, const double *error, int n, int k, int first, int last,
                                  double *scratch) {
    for (int use_error = 1; use_error >= 0; use_error--) {
        const double *of = use_error ? error : value;
        int m = 0;
        for (int i = 0; i < n; i++) {
            for (int b = first; b < last; b++) {
                double v = of[bml_classify__at(i, k) + b];
                if (v > 0) {
                    scratch[m++] = v;
                }
            }
        }
        double scale = use_error ? 0.1 : 1e-3;
        if (m) {
            return scale * bml_classify__median(scratch, m);
        }
    }
    return DBL_MIN;
}

static double bml_classify__log(double value, double floor_at) {
    if (isnan(value)) {
        return value;
    }
    return log10(value > floor_at ? value : floor_at);
}

/* Fluxes of bands or years, as they stand or as logarithms. */
static void bml_classify__make_fluxes(bml_classify__maker *m, int group, int logarithm) {
    static const char *const names[2][2] = {{"raw_band", "raw_year"}, {"log_band", "log_year"}};
    const bml_classify_catalog *c = m->c;
    int energy = group == BML_CLASSIFY_ENERGY;
    int k = energy ? c->n_bands : c->n_years;
    const double *value = energy ? c->flux : c->history;
    for (int b = 0; b < k; b++) {
        double *out = bml_classify__new_column(m, group, names[logarithm][!energy], b + 1);
        if (!out) {
            continue;
        }
        double floor_at = energy ? m->band_floor[b] : m->year_floor;
        for (int i = 0; i < m->data->n; i++) {
            double v = value[bml_classify__at(m->data->source[i], k) + b];
            out[bml_classify__at(i, m->data->d)] = logarithm ? bml_classify__log(v, floor_at) : v;
        }
    }
}

typedef struct bml_classify__spectrum { /* a spectrum exp(a0 + a1 u + a2 u^2) being fitted */
    const double *f, *e;                /* [k] fluxes and errors */
    int k, n_free;                      /* bands; how many numbers of a are free */
    double gradient[3], hessian[9];     /* half of chi2's gradient; of the linearised model [n_free][n_free] */
} bml_classify__spectrum;

/* chi2 at a[3], and the prior's part. With `derivatives`, gradient and hessian too. */
static double bml_classify__parabola(bml_classify__spectrum *s, const double *a, int derivatives) {
    static const double prior[3] = {0, 1 / 400.0, 1 / 16.0};
    double chi2 = 0;
    double x[3] = {1, 0, 0};
    int n = derivatives ? s->n_free : 0;
    if (derivatives) {
        memset(s->gradient, 0, sizeof s->gradient);
        memset(s->hessian, 0, sizeof s->hessian);
    }
    for (int b = 0; b < s->k; b++) {
        x[1] = s->k > 1 ? 2.0 * b / (s->k - 1) - 1 : 0;
        x[2] = x[1] * x[1];
        double m = exp(a[0] + a[1] * x[1] + a[2] * x[2]) / s->e[b];
        double r = s->f[b] / s->e[b] - m;
        chi2 += r * r;
        for (int i = 0; i < n; i++) {
            s->gradient[i] -= r * m * x[i];
            for (int j = 0; j <= i; j++) {
                s->hessian[i * n + j] += m * x[i] * m * x[j];
            }
        }
    }
    for (int i = 0; i < s->n_free; i++) {
        chi2 += prior[i] * a[i] * a[i];
    }
    for (int i = 0; i < n; i++) {
        s->gradient[i] += prior[i] * a[i];
        s->hessian[i * n + i] += prior[i];
    }
    return chi2;
}

/* next[3] = a[3] + a step of Levenberg and Marquardt; 0 when there is none. */
static int bml_classify__parabola_step(double *next, const bml_classify__spectrum *s, const double *a, double damping) {
    double damped[9];
    int n = s->n_free;
    memcpy(damped, s->hessian, sizeof damped);
    for (int i = 0; i < 3; i++) {
        next[i] = 0;
    }
    for (int i = 0; i < n; i++) {
        damped[i * n + i] += damping * (1e-9 + s->hessian[i * n + i]);
        next[i] = s->gradient[i];
    }
    if (!bml_classify__cholesky(damped, n)) {
        return 0;
    }
    bml_classify__solve(next, damped, n);
    for (int i = 0; i < n; i++) {
        double step = next[i];
        if (step > 2) {
            step = 2;
        }
        if (step < -2) {
            step = -2;
        }
        next[i] = a[i] - step;
    }
    return 1;
}

/* The least chi2 over n_free numbers of a[3], from where they stand. */
static double bml_classify__fit_parabola(bml_classify__spectrum *s, double *a, int n_free) {
    double next[3];
    double damping = 1e-2;
    double fall = 1;
    s->n_free = n_free;
    double chi2 = bml_classify__parabola(s, a, 1);
    for (int round = 0; round < 100 && damping < 1e9 && fall > 1e-9; round++) {
        if (!bml_classify__parabola_step(next, s, a, damping)) {
            break;
        }
        double trial = bml_classify__parabola(s, next, 0);
        if (trial <= chi2) {
            fall = (chi2 - trial) / (1e-3 + chi2);
            memcpy(a, next, sizeof next);
            chi2 = bml_classify__parabola(s, a, 1);
            damping /= 4;
        } else {
            damping *= 5;
        }
    }
    return chi2;
}

/* q[3]: slope, curvature and what that is worth of fluxes f[k] with errors e[k]; a missing error counts as `error[k]`.
   NaN where a flux is missing. scratch[k]. */
static void bml_classify__fit_spectrum(double *q, const double *f, const double *e, const double *error, int k,
                                       double *scratch) {
    double a[3] = {0, 0, 0};
    double xx = 0;
    bml_classify__spectrum s;
    memset(&s, 0, sizeof s);
    s.f = f;
    s.e = scratch;
    s.k = k;
    for (int b = 0; b < k; b++) { /* the start: a straight line through the logarithms */
        double u = k > 1 ? 2.0 * b / (k - 1) - 1 : 0;
        int given = e[b] > 0 && e[b] < DBL_MAX;
        scratch[b] = given ? e[b] : error[b];
        double least = 0.3 * scratch[b];
        double y = log(f[b] > least ? f[b] : least);
        a[0] += y / k;
        a[1] += u * y;
        xx += u * u;
    }
    a[1] = xx > 0 ? a[1] / xx : 0;
    double gain = bml_classify__fit_parabola(&s, a, 2);
    gain -= bml_classify__fit_parabola(&s, a, 3);
    q[0] = a[1];
    q[1] = a[2];
    q[2] = log10(1 + (gain > 0 ? gain : 0));
    for (int b = 0; b < k; b++) {
        if (!isfinite(f[b])) {
            q[0] = q[1] = q[2] = BML_CLASSIFY__NAN;
        }
    }
}

static void bml_classify__make_fit(bml_classify__maker *m) {
    static const char *const name[3] = {"fit_slope", "fit_curvature", "fit_gain"};
    const bml_classify_catalog *c = m->c;
    double q[3];
    double *out[3];
    for (int j = 0; j < 3; j++) {
        out[j] = bml_classify__new_column(m, BML_CLASSIFY_ENERGY, name[j], 0);
    }
    if (!m->data) {
        return;
    }
    for (int i = 0; i < m->data->n; i++) {
        ptrdiff_t at = bml_classify__at(m->data->source[i], c->n_bands);
        const double *f = c->flux + at;
        const double *e = c->flux_error + at;
        bml_classify__fit_spectrum(q, f, e, m->error, c->n_bands, m->scratch);
        for (int j = 0; j < 3; j++) {
            out[j][bml_classify__at(i, m->data->d)] = q[j];
        }
    }
}

/* Slopes (order 1) or curvatures (order 2) of the log spectrum. */
static void bml_classify__make_differences(bml_classify__maker *m, int order) {
    const char *name = order == 1 ? "derived_slope" : "derived_curvature";
    int k = m->c->n_bands;
    for (int b = 0; b + order < k; b++) {
        double *out = bml_classify__new_column(m, BML_CLASSIFY_ENERGY, name, b + 1);
        if (!out) {
            continue;
        }
        const double *at = m->band_floor + b;
        for (int i = 0; i < m->data->n; i++) {
            const double *f = m->c->flux + bml_classify__at(m->data->source[i], k) + b;
            double s = bml_classify__log(f[1], at[1]) - bml_classify__log(f[0], at[0]);
            if (order == 2) {
                s = bml_classify__log(f[2], at[2]) - bml_classify__log(f[1], at[1]) - s;
            }
            out[bml_classify__at(i, m->data->d)] = s;
        }
    }
}

/* The summed flux. */
static void bml_classify__make_sum(bml_classify__maker *m) {
    double *out = bml_classify__new_column(m, BML_CLASSIFY_ENERGY, "derived_flux", 0);
    int k = m->c->n_bands;
    double least = 0;
    if (!out) {
        return;
    }
    for (int b = 0; b < k; b++) {
        least += m->band_floor[b];
    }
    for (int i = 0; i < m->data->n; i++) {
        const double *f = m->c->flux + bml_classify__at(m->data->source[i], k);
        double sum = 0;
        for (int b = 0; b < k; b++) {
            sum += f[b];
        }
        out[bml_classify__at(i, m->data->d)] = bml_classify__log(sum, least);
    }
}

enum { BML_CLASSIFY__N_HISTORY = 7 };

/* The quantities of one light curve f[k] with upper errors e[k]: see "derived" at the top. */
static void bml_classify__history(double *q, const double *f, const double *e, int k, double floor_at) {
    double mean = 0;
    double var = 0;
    double chi2 = 0;
    double mean_log = 0;
    double var_log = 0;
    double highest = -DBL_MAX;
    double lowest = DBL_MAX;
    double step = 0;
    double before = 0;
    for (int i = 0; i < k; i++) {
        mean += f[i] / k;
        mean_log += bml_classify__log(f[i], floor_at) / k;
    }
    for (int i = 0; i < k; i++) {
        double g = bml_classify__log(f[i], floor_at);
        double off = f[i] - mean;
        double off_log = g - mean_log;
        var += off * off / k;
        var_log += off_log * off_log / k;
        if (e[i] > 0) {
            chi2 += off * off / (e[i] * e[i]);
        }
        if (g > highest) {
            highest = g;
        }
        if (g < lowest) {
            lowest = g;
        }
        if (i) {
            step += fabs(g - before) / (k - 1);
        }
        before = g;
    }
    double log_mean = bml_classify__log(mean, floor_at);
    q[0] = log_mean;
    q[1] = log10(sqrt(var) / pow(10, log_mean) + 1e-3);
    q[2] = log10(1 + chi2);
    q[3] = highest - log_mean;
    q[4] = lowest - log_mean;
    q[5] = sqrt(var_log);
    q[6] = k > 1 ? step : 0;
    for (int i = 0; i < BML_CLASSIFY__N_HISTORY && isnan(mean); i++) {
        q[i] = BML_CLASSIFY__NAN;
    }
}

static void bml_classify__make_history(bml_classify__maker *m) {
    static const char *const name[BML_CLASSIFY__N_HISTORY] = {
        "derived_mean",   "derived_scatter",     "derived_chi2", "derived_highest",
        "derived_lowest", "derived_log_scatter", "derived_step"};
    const bml_classify_catalog *c = m->c;
    double q[BML_CLASSIFY__N_HISTORY];
    double *out[BML_CLASSIFY__N_HISTORY];
    for (int k = 0; k < BML_CLASSIFY__N_HISTORY; k++) {
        out[k] = bml_classify__new_column(m, BML_CLASSIFY_TIME, name[k], 0);
    }
    if (!m->data) {
        return;
    }
    for (int i = 0; i < m->data->n; i++) {
        ptrdiff_t at = bml_classify__at(m->data->source[i], c->n_years);
        bml_classify__history(q, c->history + at, c->history_error + at, c->n_years, m->year_floor);
        for (int k = 0; k < BML_CLASSIFY__N_HISTORY; k++) {
            out[k][bml_classify__at(i, m->data->d)] = q[k];
        }
    }
}

/* Whether any of value[n] is a number. */
static int bml_classify__any(const double *value, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) {
        if (isfinite(value[i])) {
            return 1;
        }
    }
    return 0;
}

/* log10 of upper errors, and of flux over upper error with a floor of 0.01; nothing where the file has no errors. */
static void bml_classify__make_errors(bml_classify__maker *m, int group) {
    static const char *const names[2][2] = {{"error_band", "error_year"}, {"snr_band", "snr_year"}};
    const bml_classify_catalog *c = m->c;
    int energy = group == BML_CLASSIFY_ENERGY;
    int k = energy ? c->n_bands : c->n_years;
    const double *value = energy ? c->flux : c->history;
    const double *error = energy ? c->flux_error : c->history_error;
    if (!bml_classify__any(error, bml_classify__at(c->n, k))) {
        return;
    }
    for (int of = 0; of < 2 * k; of++) {
        int ratio = of >= k;
        int b = of % k;
        double *out = bml_classify__new_column(m, group, names[ratio][!energy], b + 1);
        if (!out) {
            continue;
        }
        for (int i = 0; i < m->data->n; i++) {
            ptrdiff_t at = bml_classify__at(m->data->source[i], k) + b;
            double e = error[at] > 0 ? error[at] : BML_CLASSIFY__NAN;
            out[bml_classify__at(i, m->data->d)] = ratio ? bml_classify__log(value[at] / e, 0.01) : log10(e);
        }
    }
}

static void bml_classify__make_sqrt_ts(bml_classify__maker *m) {
    const bml_classify_catalog *c = m->c;
    if (!bml_classify__any(c->sqrt_ts, bml_classify__at(c->n, c->n_bands))) {
        return;
    }
    for (int b = 0; b < c->n_bands; b++) {
        double *out = bml_classify__new_column(m, BML_CLASSIFY_ENERGY, "sqrt_ts", b + 1);
        if (!out) {
            continue;
        }
        for (int i = 0; i < m->data->n; i++) {
            double v = c->sqrt_ts[bml_classify__at(m->data->source[i], c->n_bands) + b];
            if (v < 0) {
                v = 0;
            }
            out[bml_classify__at(i, m->data->d)] = log10(1 + v);
        }
    }
}

static void bml_classify__make_latitude(bml_classify__maker *m, int with_sign) {
    const char *name = with_sign ? "latitude" : "abs_latitude";
    double *out = bml_classify__new_column(m, BML_CLASSIFY_PLACE, name, 0);
    if (!out) {
        return;
    }
    for (int i = 0; i < m->data->n; i++) {
        double latitude = m->c->lat[m->data->source[i]];
        out[bml_classify__at(i, m->data->d)] = with_sign ? latitude : fabs(latitude);
    }
}

/* The catalogue's own fits, those that it has. */
static void bml_classify__make_quantities(bml_classify__maker *m, int group) {
    for (int q = 0; q < BML_CLASSIFY_QUANTITIES; q++) {
        const bml_classify__quantity *of = &bml_classify__quantities[q];
        if (of->group != group || !m->c->has_quantity[q]) {
            continue;
        }
        double *out = bml_classify__new_column(m, group, of->feature, 0);
        if (!out) {
            continue;
        }
        for (int i = 0; i < m->data->n; i++) {
            double v = m->c->quantity[bml_classify__at(m->data->source[i], BML_CLASSIFY_QUANTITIES) + q];
            if (!isfinite(v)) {
                v = BML_CLASSIFY__NAN;
            }
            out[bml_classify__at(i, m->data->d)] = of->floor > 0 ? bml_classify__log(v, of->floor) : v;
        }
    }
}

static void bml_classify__make_features(bml_classify__maker *m, int kinds, int inputs) {
    int energy = (inputs & BML_CLASSIFY_ENERGY) && m->c->n_bands;
    int time = (inputs & BML_CLASSIFY_TIME) && m->c->n_years;
    int signed_latitude = (kinds & BML_CLASSIFY_SIGNED_LATITUDE) != 0;
    if (energy && (kinds & BML_CLASSIFY_RAW)) {
        bml_classify__make_fluxes(m, BML_CLASSIFY_ENERGY, 0);
    }
    if (time && (kinds & BML_CLASSIFY_RAW)) {
        bml_classify__make_fluxes(m, BML_CLASSIFY_TIME, 0);
    }
    if (energy && (kinds & BML_CLASSIFY_LOG)) {
        bml_classify__make_fluxes(m, BML_CLASSIFY_ENERGY, 1);
    }
    if (time && (kinds & BML_CLASSIFY_LOG)) {
        bml_classify__make_fluxes(m, BML_CLASSIFY_TIME, 1);
    }
    if (energy && (kinds & BML_CLASSIFY_DERIVED)) {
        bml_classify__make_differences(m, 1);
        bml_classify__make_differences(m, 2);
        bml_classify__make_sum(m);
        bml_classify__make_fit(m);
    }
    if (time && (kinds & BML_CLASSIFY_DERIVED)) {
        bml_classify__make_history(m);
    }
    if (energy && (kinds & BML_CLASSIFY_ERRORS)) {
        bml_classify__make_errors(m, BML_CLASSIFY_ENERGY);
    }
    if (time && (kinds & BML_CLASSIFY_ERRORS)) {
        bml_classify__make_errors(m, BML_CLASSIFY_TIME);
    }
    if (energy && (kinds & BML_CLASSIFY_SQRT_TS)) {
        bml_classify__make_sqrt_ts(m);
    }
    if (signed_latitude || (kinds & BML_CLASSIFY_LATITUDE)) {
        bml_classify__make_latitude(m, signed_latitude);
    }
    if ((inputs & BML_CLASSIFY_ENERGY) && (kinds & BML_CLASSIFY_CATALOG)) {
        bml_classify__make_quantities(m, BML_CLASSIFY_ENERGY);
    }
    if ((inputs & BML_CLASSIFY_TIME) && (kinds & BML_CLASSIFY_CATALOG)) {
        bml_classify__make_quantities(m, BML_CLASSIFY_TIME);
    }
}

/* The floors of logarithms. */
static int bml_classify__find_floors(bml_classify__maker *m) {
    const bml_classify_catalog *c = m->c;
    int most = c->n_bands > c->n_years ? c->n_bands : c->n_years;
    bml_classify__room room = {NULL, 0};
    double *scratch;
    do
        scratch = bml_classify__take_doubles(&room, c->n, most);
    while (bml_classify__again(&room));
    if (!scratch) {
        return BML_CLASSIFY_NO_MEMORY;
    }
    for (int b = 0; b < c->n_bands; b++) {
        m->band_floor[b] = bml_classify__floor(c->flux, c->flux_error, c->n, c->n_bands, b, b + 1, scratch);
        m->error[b] = 10 * m->band_floor[b];
    }
    m->year_floor = bml_classify__floor(c->history, c->history_error, c->n, c->n_years, 0, c->n_years, scratch);
    BML_CLASSIFY_FREE(room.base);
    return BML_CLASSIFY_OK;
}

/* >> data

   Rows with labels and features: of a task, of any table, and joined with another table. */

enum { BML_CLASSIFY__MAX_CLASSES = 32 };

static bml_classify_data *bml_classify__data_room(int n, int d, int n_class) {
    bml_classify__room room = {NULL, 0};
    bml_classify_data a;
    bml_classify_data *self;
    memset(&a, 0, sizeof a);
    a.n = n;
    a.d = d;
    a.n_class = n_class;
    do {
        self = (bml_classify_data *)bml_classify__take(&room, 1, 1, sizeof a);
        a.x = bml_classify__take_doubles(&room, n, d);
        a.y = bml_classify__take_ints(&room, n);
        a.source = bml_classify__take_ints(&room, n);
        a.group = bml_classify__take_ints(&room, d);
        a.feature = bml_classify__take_names(&room, d);
        a.class_name = bml_classify__take_names(&room, n_class);
    } while (bml_classify__again(&room));
    if (room.base) {
        *self = a;
    }
    return room.base ? self : NULL;
}

/* 0 or 1 for the labelled sources of a task, -1 for its candidates, -2 for the others. */
static int bml_classify__task_label(const bml_classify_catalog *c, int i, int task) {
    int kind = c->kind[i];
    if (task == BML_CLASSIFY_BLL_FSRQ) {
        if (kind == BML_CLASSIFY_BCU) {
            return -1;
        }
        if (kind == BML_CLASSIFY_BLL) {
            return 0;
        }
        return kind == BML_CLASSIFY_FSRQ ? 1 : -2;
    }
    if (kind == BML_CLASSIFY_BLANK || kind == BML_CLASSIFY_UNKNOWN) {
        return -1;
    }
    if (task == BML_CLASSIFY_YNG_MSP) {
        return c->pulsar[i] ? c->pulsar[i] - BML_CLASSIFY_YOUNG : -2;
    }
    if (kind == BML_CLASSIFY_PSR) {
        return 1;
    }
    return kind >= BML_CLASSIFY_BCU && kind <= BML_CLASSIFY_OTHER_AGN ? 0 : -2;
}

/* Both classes are there. */
static int bml_classify__check_classes(const int *y, int n, int n_class, const char *what, char *why) {
    int first = -1;
    for (int i = 0; i < n; i++) {
        if (y[i] < 0) {
            continue;
        }
        if (y[i] >= n_class) {
            return bml_classify__fail(why, BML_CLASSIFY_BAD_LABEL, "row %d: class %d of %d", i + 1, y[i], n_class);
        }
        if (first >= 0 && y[i] != first) {
            return BML_CLASSIFY_OK;
        }
        first = y[i];
    }
    const char *wrong = first < 0 ? "no row has a label" : "all labelled rows are of one class";
    return bml_classify__fail(why, BML_CLASSIFY_ONE_CLASS, "%.200s: %s", what, wrong);
}

/* Rows and features of a task; `m` has counted the features. */
static int bml_classify__fill_from_catalog(bml_classify_data *data, bml_classify__maker *m,
                                           const bml_classify_features *f) {
    static const char *const name[3][2] = {{"AGN", "PSR"}, {"BLL", "FSRQ"}, {"YNG", "MSP"}};
    int n = 0;
    for (int b = 0; b < 2; b++) {
        snprintf(data->class_name[b], BML_CLASSIFY_NAME, "%s", name[f->task][b]);
    }
    for (int i = 0; i < m->c->n; i++) {
        int y = bml_classify__task_label(m->c, i, f->task);
        if (y < -1) {
            continue;
        }
        data->y[n] = y;
        data->source[n++] = i;
    }
    bml_classify__room room = {NULL, 0};
    do {
        m->band_floor = bml_classify__take_doubles(&room, m->c->n_bands, 1);
        m->error = bml_classify__take_doubles(&room, m->c->n_bands, 1);
        m->scratch = bml_classify__take_doubles(&room, m->c->n_bands, 1);
    } while (bml_classify__again(&room));
    int status = room.base ? bml_classify__find_floors(m) : BML_CLASSIFY_NO_MEMORY;
    m->data = data;
    m->d = 0;
    if (!status) {
        bml_classify__make_features(m, f->kinds, f->inputs);
    }
    BML_CLASSIFY_FREE(room.base);
    return status;
}

/* What is asked for, with its defaults; refuses what is not there. */
static int bml_classify__check_features(bml_classify_features *f, const bml_classify_catalog *c, char *why) {
    if (f->task < 0 || f->task > BML_CLASSIFY_YNG_MSP) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "task = %d: must be in [0, 2]", f->task);
    }
    if (f->kinds < 0 || f->kinds > BML_CLASSIFY_ALL_FEATURES) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "kinds = %d: must be in [0, %d]", f->kinds,
                                  (int)BML_CLASSIFY_ALL_FEATURES);
    }
    if (f->inputs < 0 || f->inputs > 3) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "inputs = %d: must be in [0, 3]", f->inputs);
    }
    if (!f->kinds) {
        f->kinds = BML_CLASSIFY_RAW;
    }
    if (!f->inputs) {
        f->inputs = BML_CLASSIFY_ENERGY | BML_CLASSIFY_TIME;
    }
    if (f->inputs == BML_CLASSIFY_TIME && !c->n_years) {
        return bml_classify__fail(why, BML_CLASSIFY_NO_COLUMN, "the catalogue has no light curves (Flux_History_1)");
    }
    if (f->inputs == BML_CLASSIFY_ENERGY && !c->n_bands) {
        return bml_classify__fail(why, BML_CLASSIFY_NO_COLUMN, "the catalogue has no bands (Flux_Band_1)");
    }
    return BML_CLASSIFY_OK;
}

BML_CLASSIFY_DEF int bml_classify_data_from_catalog(bml_classify_data **data, const bml_classify_catalog *catalog,
                                                    const bml_classify_features *features, char *why) {
    if (data) {
        *data = NULL;
    }
    bml_classify__no_message(why);
    if (!data || !catalog || !features) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "data, catalog or features are missing");
    }
    bml_classify_features f = *features;
    int status = bml_classify__check_features(&f, catalog, why);
    if (status) return status;
    bml_classify__maker m;
    memset(&m, 0, sizeof m);
    m.c = catalog;
    bml_classify__make_features(&m, f.kinds, f.inputs); /* counts */
    int n = 0;
    for (int i = 0; i < catalog->n; i++) {
        n += bml_classify__task_label(catalog, i, f.task) >= -1;
    }
    bml_classify_data *d = bml_classify__data_room(n, m.d, 2);
    if (!d || bml_classify__fill_from_catalog(d, &m, &f)) {
        status = bml_classify__no_memory(why);
    } else {
        status = bml_classify__check_classes(d->y, d->n, 2, "this catalogue and task", why);
    }
    if (status) {
        bml_classify_data_free(d);
    } else {
        *data = d;
    }
    return status;
}

static int bml_classify__by_text(const void *a, const void *b) {
    return strcmp((const char *)a, (const char *)b);
}

/* The class that a cell names, "" for none; a column of numbers gives them as text. */
static void bml_classify__label(char *label, const bml_classify_table *t, int column, int row) {
    const bml_classify_column *c = &t->column[column];
    if (c->text) {
        snprintf(label, BML_CLASSIFY_NAME, "%.47s", c->text[row]);
    } else if (isnan(c->number[row])) {
        *label = 0;
    } else {
        snprintf(label, BML_CLASSIFY_NAME, "%g", c->number[row]);
    }
    if (c->number) {
        bml_classify__mend_points(label);
    }
}

/* The distinct texts of a column in order; their number, or a status. */
static int bml_classify__distinct(bml_classify__name *name, const bml_classify_table *t, int column, char *why) {
    int n = 0;
    for (int i = 0; i < t->n_rows; i++) {
        char label[BML_CLASSIFY_NAME];
        int k = 0;
        bml_classify__label(label, t, column, i);
        while (k < n && strcmp(label, name[k])) {
            k++;
        }
        if (!*label || k < n) {
            continue;
        }
        if (n == BML_CLASSIFY__MAX_CLASSES) {
            return bml_classify__fail(why, BML_CLASSIFY_BAD_LABEL,
                                      "%.200s:%ld: %.60s: '%.47s' is class number %d: is this a column of classes?",
                                      t->name, t->line[i], t->column[column].name, label, n + 1);
        }
        memcpy(name[n++], label, sizeof label);
    }
    qsort(name, (size_t)n, sizeof *name, bml_classify__by_text);
    return n;
}

/* One feature: column k of the data from a column of the table. */
static int bml_classify__fill_column(bml_classify_data *d, int k, const bml_classify_table *t, int column, char *why) {
    const char *name = t->column[column].name;
    int any = 0;
    int status = bml_classify__column(d->x + k, d->d, t, name, why);
    snprintf(d->feature[k], BML_CLASSIFY_NAME, "%.47s", name);
    d->group[k] = BML_CLASSIFY_ENERGY;
    for (int i = 0; i < d->n && !status; i++) {
        double *v = &d->x[bml_classify__at(i, d->d) + k];
        if (isinf(*v)) {
            *v = BML_CLASSIFY__NAN;
        }
        any |= !isnan(*v);
    }
    if (status || any) {
        return status;
    }
    return bml_classify__fail(why, BML_CLASSIFY_EMPTY_COLUMN, "%.200s: column %d, '%.60s', holds no number", t->name,
                              column + 1, name);
}

/* Labels, and every other column as a feature. */
static int bml_classify__fill_from_table(bml_classify_data *d, const bml_classify_table *t, int column, char *why) {
    int status = BML_CLASSIFY_OK;
    int to = 0;
    for (int i = 0; i < d->n; i++) {
        char label[BML_CLASSIFY_NAME];
        bml_classify__label(label, t, column, i);
        d->source[i] = i;
        d->y[i] = -1;
        for (int k = 0; k < d->n_class; k++) {
            if (!strcmp(label, d->class_name[k])) {
                d->y[i] = k;
            }
        }
    }
    for (int k = 0; k < t->n_columns && !status; k++) {
        if (k != column) {
            status = bml_classify__fill_column(d, to++, t, k, why);
        }
    }
    return status;
}

BML_CLASSIFY_DEF int bml_classify_data_from_table(bml_classify_data **data, const bml_classify_table *t,
                                                  const char *label, char *why) {
    bml_classify__name name[BML_CLASSIFY__MAX_CLASSES];
    if (data) {
        *data = NULL;
    }
    bml_classify__no_message(why);
    if (!data || !t || !label) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "data, table or label is missing");
    }
    int column = bml_classify_table_find(t, label);
    if (column < 0 || t->n_columns < 2) {
        return bml_classify__fail(why, BML_CLASSIFY_NO_COLUMN, "%.200s: no column '%.60s' of labels beside others",
                                  t->name, label);
    }
    int n_class = bml_classify__distinct(name, t, column, why);
    if (n_class < 0) {
        return n_class;
    }
    if (n_class < 2) {
        const char *wrong = n_class ? "all rows are of one class" : "no row has a label";
        return bml_classify__fail(why, BML_CLASSIFY_ONE_CLASS, "%.200s: %.60s: %s", t->name, label, wrong);
    }
    bml_classify_data *d = bml_classify__data_room(t->n_rows, t->n_columns - 1, n_class);
    if (!d) {
        return bml_classify__no_memory(why);
    }
    memcpy(d->class_name, name, (size_t)n_class * sizeof *name);
    int status = bml_classify__fill_from_table(d, t, column, why);
    if (status) {
        bml_classify_data_free(d);
    } else {
        *data = d;
    }
    return status;
}

/* Columns that say which source a row is of, not what it is like. */
static int bml_classify__is_key(const char *name) {
    static const char *const keys[] = {"Source_Name", "name",   "source",  "RAJ2000", "DEJ2000", "DECJ2000", "RA",
                                       "DEC",         "RA_deg", "DEC_deg", "GLON",    "GLAT",    NULL};
    for (int i = 0; keys[i]; i++) {
        if (bml_classify__same(name, keys[i])) {
            return 1;
        }
    }
    return 0;
}

/* The row of the other table for row i of the data, or -1. */
static int bml_classify__other_row(const bml_classify_data *d, const bml_classify_table *t, const int *match, int i) {
    int row = match[bml_classify__pick(d->source, i)];
    return row < t->n_rows ? row : -1;
}

/* What a join adds: value[n] of a column for each row of the data. 0 when it is no column of numbers, or holds none
   for any of them. numbers[n_rows] is scratch. */
static int bml_classify__join_column(double *value, double *numbers, const bml_classify_data *d,
                                     const bml_classify_table *t, int column, const int *match) {
    int any = 0;
    if (bml_classify__is_key(t->column[column].name)) {
        return 0;
    }
    if (bml_classify_table_numbers(numbers, t, column, NULL)) {
        return 0;
    }
    for (int i = 0; i < d->n; i++) {
        int row = bml_classify__other_row(d, t, match, i);
        value[i] = row >= 0 && isfinite(numbers[row]) ? numbers[row] : BML_CLASSIFY__NAN;
        any |= !isnan(value[i]);
    }
    return any;
}

static void bml_classify__set_column(bml_classify_data *to, int k, const double *value, const char *name) {
    to->group[k] = BML_CLASSIFY_OUTSIDE;
    snprintf(to->feature[k], BML_CLASSIFY_NAME, "out_%.40s", name);
    for (int i = 0; i < to->n; i++) {
        to->x[bml_classify__at(i, to->d) + k] = value[i];
    }
}

/* What the data had before. */
static void bml_classify__copy_data(bml_classify_data *to, const bml_classify_data *d) {
    for (int i = 0; i < d->n; i++) {
        bml_classify__copy(to->x + bml_classify__at(i, to->d), d->x + bml_classify__at(i, d->d), d->d);
        to->y[i] = d->y[i];
        to->source[i] = bml_classify__pick(d->source, i);
    }
    for (int k = 0; k < d->d; k++) {
        to->group[k] = d->group ? d->group[k] : BML_CLASSIFY_ENERGY;
        if (d->feature) {
            memcpy(to->feature[k], d->feature[k], BML_CLASSIFY_NAME);
        }
    }
    for (int k = 0; k < d->n_class && d->class_name; k++) {
        memcpy(to->class_name[k], d->class_name[k], BML_CLASSIFY_NAME);
    }
}

BML_CLASSIFY_DEF int bml_classify_data_join(bml_classify_data **wider, const bml_classify_data *d,
                                            const bml_classify_table *t, const int *match, char *why) {
    if (wider) {
        *wider = NULL;
    }
    bml_classify__no_message(why);
    if (!wider || !d || !t || !match) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "data, table or match is missing");
    }
    bml_classify__room room = {NULL, 0};
    double *value;
    double *numbers;
    do {
        value = bml_classify__take_doubles(&room, d->n, 1);
        numbers = bml_classify__take_doubles(&room, t->n_rows, 1);
    } while (bml_classify__again(&room));
    if (!room.base) {
        return bml_classify__no_memory(why);
    }
    int added = 0;
    for (int k = 0; k < t->n_columns; k++) {
        added += bml_classify__join_column(value, numbers, d, t, k, match);
    }
    int missing = 0;
    for (int i = 0; i < d->n; i++) {
        missing += bml_classify__other_row(d, t, match, i) < 0;
    }
    int status = BML_CLASSIFY_OK;
    if (!added) {
        status = bml_classify__fail(why, BML_CLASSIFY_EMPTY_COLUMN, "%.200s: no column holds a number for any source",
                                    t->name);
    }
    bml_classify_data *to = status ? NULL : bml_classify__data_room(d->n, d->d + added + (missing > 0), d->n_class);
    if (!status && !to) {
        status = bml_classify__no_memory(why);
    }
    if (!status) {
        int at = d->d;
        bml_classify__copy_data(to, d);
        for (int k = 0; k < t->n_columns; k++) {
            if (bml_classify__join_column(value, numbers, d, t, k, match)) {
                bml_classify__set_column(to, at++, value, t->column[k].name);
            }
        }
        for (int i = 0; i < d->n; i++) {
            value[i] = bml_classify__other_row(d, t, match, i) >= 0;
        }
        if (missing) {
            bml_classify__set_column(to, at, value, "found");
        }
        *wider = to;
    }
    BML_CLASSIFY_FREE(room.base);
    return status;
}

BML_CLASSIFY_DEF void bml_classify_data_free(bml_classify_data *data) {
    BML_CLASSIFY_FREE(data);
}

/* Whether `name` begins with one of the words of "a|b|c". */
static int bml_classify__has_prefix(const char *name, const char *prefixes) {
    while (prefixes) {
        size_t n = strcspn(prefixes, "|");
        if (n && !strncmp(name, prefixes, n)) {
            return 1;
        }
        prefixes = prefixes[n] ? prefixes + n + 1 : NULL;
    }
    return 0;
}

BML_CLASSIFY_DEF void bml_classify_data_columns(int *columns, int *n_columns, const bml_classify_data *data, int groups,
                                                const char *prefixes) {
    int n = 0;
    for (int k = 0; k < data->d; k++) {
        const char *name = data->feature ? data->feature[k] : "";
        if (data->group && !(data->group[k] & groups)) {
            continue;
        }
        if (prefixes && !bml_classify__has_prefix(name, prefixes)) {
            continue;
        }
        columns[n++] = k;
    }
    *n_columns = n;
}

/* >> splits

   Rows of each class are put into random order, and dealt out class by class. */

/* Rows of each class in random order, class after class: order[n], start[n_class + 1]. rows = NULL: 0 ... n-1. */
static int bml_classify__by_class(int *order, int *start, const bml_classify_data *data, const int *rows, int n,
                                  uint64_t seed) {
    bml_classify_rng rng = bml_classify__stream(seed, 0, 0, BML_CLASSIFY__STREAM_ORDER);
    int m = 0;
    for (int k = 0; k < data->n_class; k++) {
        start[k] = m;
        for (int i = 0; i < n; i++) {
            if (data->y[bml_classify__pick(rows, i)] == k) {
                order[m++] = i;
            }
        }
        bml_classify__shuffle(order + start[k], m - start[k], &rng);
    }
    start[data->n_class] = m;
    return m;
}

static int bml_classify__check_data(const bml_classify_data *data, char *why) {
    int there = data && data->x && data->y;
    int sized = there && data->n >= 1 && data->d >= 1;
    if (sized && data->n_class >= 2 && data->n_class <= BML_CLASSIFY__MAX_CLASSES) {
        return BML_CLASSIFY_OK;
    }
    return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "data: needs rows, features and 2 to %d classes",
                              (int)BML_CLASSIFY__MAX_CLASSES);
}

BML_CLASSIFY_DEF int bml_classify_split(int *rows, int *n_train, int *n_test, const bml_classify_data *data,
                                        double fraction, uint64_t seed, char *why) {
    int start[BML_CLASSIFY__MAX_CLASSES + 1];
    bml_classify__no_message(why);
    int status = bml_classify__check_data(data, why);
    if (!status) {
        status = bml_classify__check_classes(data->y, data->n, data->n_class, "split", why);
    }
    if (status) return status;
    if (!rows || !n_train || !n_test || !(fraction > 0 && fraction < 1)) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "split: fraction = %g: must be in (0, 1)", fraction);
    }
    int *order = (int *)bml_classify__grown(NULL, 0, data->n, sizeof *order);
    if (!order) {
        return bml_classify__no_memory(why);
    }
    int front = 0; /* training rows fill up from the front, test rows from the back */
    int back = bml_classify__by_class(order, start, data, NULL, data->n, seed);
    for (int k = 0; k < data->n_class && !status; k++) {
        int m = start[k + 1] - start[k];
        int train = (int)floor(fraction * m + 0.5);
        if (m > 0 && (train < 1 || train == m)) {
            status = bml_classify__fail(why, BML_CLASSIFY_TOO_FEW, "split: %d rows of class %d cannot be parted", m, k);
        }
        for (int i = 0; i < m; i++) {
            rows[i < train ? front++ : --back] = order[start[k] + i];
        }
    }
    *n_train = front;
    *n_test = start[data->n_class] - front;
    bml_classify_rng rng = bml_classify__stream(seed, 0, 0, BML_CLASSIFY__STREAM_SPLIT);
    bml_classify__shuffle(rows, *n_train, &rng);
    bml_classify__shuffle(rows + front, *n_test, &rng);
    BML_CLASSIFY_FREE(order);
    return status;
}

BML_CLASSIFY_DEF int bml_classify_folds(int *fold, const bml_classify_data *data, const int *rows, int n_rows,
                                        int n_folds, uint64_t seed, char *why) {
    int start[BML_CLASSIFY__MAX_CLASSES + 1];
    int next = 0;
    int classes = 0;
    bml_classify__no_message(why);
    int status = bml_classify__check_data(data, why);
    if (status) return status;
    if (!rows) {
        n_rows = data->n;
    }
    if (!fold || n_rows < 1 || n_folds < 2) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "folds = %d of %d rows: needs rows and 2 folds",
                                  n_folds, n_rows);
    }
    int *order = (int *)bml_classify__grown(NULL, 0, n_rows, sizeof *order);
    if (!order) {
        return bml_classify__no_memory(why);
    }
    bml_classify__by_class(order, start, data, rows, n_rows, seed);
    for (int i = 0; i < n_rows; i++) {
        fold[i] = -1;
    }
    for (int k = 0; k < data->n_class && !status; k++) {
        int m = start[k + 1] - start[k];
        classes += m > 0;
        if (m > 0 && m < n_folds) {
            status = bml_classify__fail(why, BML_CLASSIFY_TOO_FEW, "%d rows of class %d for %d folds", m, k, n_folds);
        }
        for (int i = start[k]; i < start[k + 1]; i++) {
            fold[order[i]] = next++ % n_folds;
        }
    }
    if (!status && classes < 2) {
        status = bml_classify__fail(why, BML_CLASSIFY_ONE_CLASS, "folds: rows of one class only");
    }
    BML_CLASSIFY_FREE(order);
    return status;
}

/* >> learners

   A learner gets standardised rows, new ones by SMOTE among them, and answers with probabilities. */

typedef struct bml_classify__sample {
    double *z; /* [n][d] */
    int *y;    /* [n] */
    double *w; /* [n] weights, mean 1 */
    int n, d, n_class;
    const int *group; /* [d] of the features; may be NULL */
} bml_classify__sample;

typedef struct bml_classify__node {
    int column, left, right;
    double cut;
} bml_classify__node; /* column < 0: a leaf */

typedef struct bml_classify__learner {
    int kind, d, n_class;
    void *block;               /* what beta, covariance, centre, factor and root point into */
    double *beta, *covariance; /* logistic: [n_class-1][d+1], constant last; inverse Hessian of all of them */
    double *centre, *factor;   /* kernel: [n_centres][d]; [n_centres][n_centres], see there; beta has n_centres for d */
    double width, l2;          /* 2 d scale^2; the penalty */
    int n_centres;
    bml_classify__node *node; /* trees: all nodes of all trees, in a block that grows */
    double *value;            /* [n_nodes][n_out] answers of the leaves, likewise */
    int *root;                /* [n_trees] */
    int n_nodes, room, n_trees, n_out;
    double base[BML_CLASSIFY__MAX_CLASSES]; /* boost: answer before the first tree */
    struct bml_classify__net *net;
} bml_classify__learner;

static const double *bml_classify__row(const bml_classify__sample *s, int i) {
    return s->z + bml_classify__at(i, s->d);
}

/* p[n_class] from n_out scores: one score is the logit of class 1. */
static void bml_classify__softmax(double *p, const double *score, int n_class) {
    double highest = score[0];
    double sum = 0;
    if (n_class == 2) {
        p[1] = 1 / (1 + exp(-score[0]));
        p[0] = 1 / (1 + exp(score[0]));
        return;
    }
    for (int k = 1; k < n_class; k++) {
        highest = score[k] > highest ? score[k] : highest;
    }
    for (int k = 0; k < n_class; k++) {
        p[k] = exp(score[k] - highest);
        sum += p[k];
    }
    for (int k = 0; k < n_class; k++) {
        p[k] /= sum;
    }
}

/* >> logistic regression

   Newton's method on the penalised log likelihood, which is concave: steps are halved only where rounding or a far
   start would make it fall. Class 0 is the one the others are compared with. */

typedef struct bml_classify__newton { /* P = (n_class - 1)(d + 1) numbers beta are sought */
    const bml_classify__sample *s;
    double l2;
    int size;         /* P */
    double *gradient; /* [P] of minus the penalised log likelihood; then the step */
    double *hessian;  /* [P][P] lower half; then its Cholesky factor */
    double *trial;    /* [P] */
} bml_classify__newton;

/* score of class k (1 ... n_class-1) of a row z[d]. */
static double bml_classify__linear(const double *beta, const double *z, int d, int k) {
    const double *b = beta + bml_classify__at(k - 1, d + 1);
    double s = b[d];
    for (int j = 0; j < d; j++) {
        s += b[j] * z[j];
    }
    return s;
}

static void bml_classify__logistic_row(double *p, const double *beta, const double *z, int d, int n_class) {
    double score[BML_CLASSIFY__MAX_CLASSES];
    score[0] = 0;
    for (int k = 1; k < n_class; k++) {
        score[k] = bml_classify__linear(beta, z, d, k);
    }
    bml_classify__softmax(p, n_class == 2 ? score + 1 : score, n_class);
}

/* Adds h x x' to the block (k, l) of the hessian, x = (z, 1); for k = l its lower half. */
static void bml_classify__add_block(bml_classify__newton *f, const double *z, double h, int k, int l) {
    int d = f->s->d;
    int e = d + 1;
    for (int i = 0; i < e; i++) {
        double hx = h * (i < d ? z[i] : 1);
        int row = (k - 1) * e + i;
        double *to = f->hessian + bml_classify__at(row, f->size) + (l - 1) * e;
        int stop = k == l ? i + 1 : e;
        for (int j = 0; j < stop && j < d; j++) {
            to[j] += hx * z[j];
        }
        if (stop > d) {
            to[d] += hx;
        }
    }
}

/* Adds what row i, of probabilities p[n_class], has to say. */
static void bml_classify__add_row(bml_classify__newton *f, const double *p, int i) {
    const double *z = bml_classify__row(f->s, i);
    int d = f->s->d;
    double w = f->s->w[i];
    for (int k = 1; k < f->s->n_class; k++) {
        double *gradient = f->gradient + bml_classify__at(k - 1, d + 1);
        double g = w * (p[k] - (f->s->y[i] == k));
        for (int j = 0; j < d; j++) {
            gradient[j] += g * z[j];
        }
        gradient[d] += g;
        for (int l = 1; l <= k; l++) {
            bml_classify__add_block(f, z, w * p[k] * ((k == l) - p[l]), k, l);
        }
    }
}

/* Penalised minus log likelihood at beta; with `derivatives`, gradient and hessian too. */
static double bml_classify__cross_entropy(bml_classify__newton *f, const double *beta, int derivatives) {
    const bml_classify__sample *s = f->s;
    double loss = 0;
    double p[BML_CLASSIFY__MAX_CLASSES];
    if (derivatives) {
        bml_classify__clear(f->gradient, f->size);
        bml_classify__clear(f->hessian, bml_classify__at(f->size, f->size));
    }
    for (int i = 0; i < s->n; i++) {
        bml_classify__logistic_row(p, beta, bml_classify__row(s, i), s->d, s->n_class);
        double own = p[s->y[i]];
        loss -= s->w[i] * log(own > DBL_MIN ? own : DBL_MIN);
        if (derivatives) {
            bml_classify__add_row(f, p, i);
        }
    }
    for (int i = 0; i < f->size; i++) {
        int constant = i % (s->d + 1) == s->d;
        double weight = constant ? 1e-9 : f->l2; /* the constant is free; this keeps the matrix invertible */
        loss += 0.5 * weight * beta[i] * beta[i];
        if (!derivatives) {
            continue;
        }
        f->gradient[i] += weight * beta[i];
        f->hessian[bml_classify__at(i, f->size) + i] += weight;
    }
    return loss;
}

/* One Newton step; 1 when the loss fell by less than 1e-10 of itself, 0 when it fell by more, -1 on failure. */
static int bml_classify__newton_step(double *beta, bml_classify__newton *f) {
    double step = 1;
    double loss = 0;
    double before = bml_classify__cross_entropy(f, beta, 1);
    if (!bml_classify__cholesky(f->hessian, f->size)) {
        return -1;
    }
    bml_classify__solve(f->gradient, f->hessian, f->size);
    int halvings = 0;
    for (; halvings < 30; halvings++) {
        for (int i = 0; i < f->size; i++) {
            f->trial[i] = beta[i] - step * f->gradient[i];
        }
        loss = bml_classify__cross_entropy(f, f->trial, 0);
        if (loss <= before) {
            break;
        }
        step *= 0.5;
    }
    if (halvings == 30) {
        return 1; /* at the minimum to rounding */
    }
    bml_classify__copy(beta, f->trial, f->size);
    return before - loss <= 1e-10 * (fabs(before) + 1e-300);
}

/* covariance[P][P] from the factor of the last step, which is that at the minimum. */
static void bml_classify__invert(double *covariance, bml_classify__newton *f) {
    double *column = f->gradient;
    for (int j = 0; j < f->size; j++) {
        for (int i = 0; i < f->size; i++) {
            column[i] = i == j;
        }
        bml_classify__solve(column, f->hessian, f->size);
        for (int i = 0; i < f->size; i++) {
            covariance[bml_classify__at(i, f->size) + j] = column[i];
        }
    }
}

/* Into m->beta and m->covariance, which have room for what the sample needs. */
static int bml_classify__fit_logistic(bml_classify__learner *m, double l2, const bml_classify__sample *s, char *why) {
    bml_classify__room room = {NULL, 0};
    bml_classify__newton f;
    memset(&f, 0, sizeof f);
    f.s = s;
    f.l2 = l2;
    f.size = (s->n_class - 1) * (s->d + 1);
    do {
        f.gradient = bml_classify__take_doubles(&room, f.size, 1);
        f.trial = bml_classify__take_doubles(&room, f.size, 1);
        f.hessian = bml_classify__take_doubles(&room, f.size, f.size);
    } while (bml_classify__again(&room));
    if (!room.base) {
        return bml_classify__no_memory(why);
    }
    int done = 0;
    int steps = 0;
    for (; steps < 100 && !done; steps++) {
        done = bml_classify__newton_step(m->beta, &f);
    }
    if (done == 1) {
        bml_classify__invert(m->covariance, &f);
    }
    BML_CLASSIFY_FREE(room.base);
    if (done == 1) {
        return BML_CLASSIFY_OK;
    }
    return bml_classify__fail(why, BML_CLASSIFY_NOT_CONVERGED, "logistic regression: no minimum after %d steps", steps);
}

static int bml_classify__learn_logistic(bml_classify__learner *m, const bml_classify_config *config,
                                        const bml_classify__sample *s, char *why) {
    bml_classify__room room = {NULL, 0};
    int size = (s->n_class - 1) * (s->d + 1);
    do {
        m->beta = bml_classify__take_doubles(&room, size, 1);
        m->covariance = bml_classify__take_doubles(&room, size, size);
    } while (bml_classify__again(&room));
    m->block = room.base;
    if (!room.base) {
        return bml_classify__no_memory(why);
    }
    return bml_classify__fit_logistic(m, config->l2, s, why);
}

/* Variance of the score of a row z[d]: x'Cx, x = (z, 1). */
static double bml_classify__score_variance(const bml_classify__learner *m, const double *z, int d) {
    double var = 0;
    for (int j = 0; j <= d; j++) {
        const double *row = m->covariance + bml_classify__at(j, d + 1);
        for (int k = 0; k <= d; k++) {
            var += (j < d ? z[j] : 1) * (k < d ? z[k] : 1) * row[k];
        }
    }
    return var > 0 ? var : 0;
}

/* p[n][n_class] of z[n][d], sd likewise or NULL: for two classes from the variance of the score, p (1-p) sd(score). */
static void bml_classify__ask_logistic(double *p, double *sd, const bml_classify__learner *m, const double *z, int n,
                                       int d) {
    int K = m->n_class;
    for (int i = 0; i < n; i++) {
        const double *row = z + bml_classify__at(i, d);
        double *to = p + bml_classify__at(i, K);
        bml_classify__logistic_row(to, m->beta, row, d, K);
        if (!sd) {
            continue;
        }
        double doubt = BML_CLASSIFY__NAN;
        if (K == 2) {
            doubt = to[0] * to[1] * sqrt(bml_classify__score_variance(m, row, d));
        }
        for (int k = 0; k < K; k++) {
            sd[bml_classify__at(i, K) + k] = doubt;
        }
    }
}

/* >> kernel regression

   With K = L L' at the centres and phi(x) = L^-1 k(x, c), f is linear in phi, f = constant + b' phi, and a'K a = b'b:
   logistic regression on phi. What of the process the centres cannot tell, k(x, x) - phi'phi, adds to the variance
   (Quinonero-Candela & Rasmussen 2005, JMLR 6, 1939, section 5): away from all rows the doubt is the prior's. */

/* k(z, c_k). */
static double bml_classify__kernel(const bml_classify__learner *m, const double *z, int k) {
    const double *centre = m->centre + bml_classify__at(k, m->d);
    return 1 / (1 + bml_classify__distance2(z, centre, m->d) / m->width);
}

/* phi[n][n_centres] of z[n][d]. m->factor holds L by columns, so that inner loops run over neighbours. */
static void bml_classify__lift(double *phi, const bml_classify__learner *m, const double *z, int n) {
    int size = m->n_centres;
    for (int i = 0; i < n; i++) {
        const double *row = z + bml_classify__at(i, m->d);
        double *to = phi + bml_classify__at(i, size);
        for (int k = 0; k < size; k++) {
            to[k] = bml_classify__kernel(m, row, k);
        }
        for (int k = 0; k < size; k++) {
            const double *column = m->factor + bml_classify__at(k, size);
            to[k] /= column[k];
            double x = to[k];
            for (int j = k + 1; j < size; j++) {
                to[j] -= x * column[j];
            }
        }
    }
}

/* Centres drawn from the rows, order[n], and the factor of their kernel matrix K[n_centres][n_centres]. */
static int bml_classify__place_centres(bml_classify__learner *m, const bml_classify__sample *s, int *order, double *K,
                                       uint64_t seed) {
    int size = m->n_centres;
    bml_classify_rng rng = bml_classify__stream(seed, 0, 0, BML_CLASSIFY__STREAM_CENTRES);
    for (int i = 0; i < s->n; i++) {
        order[i] = i;
    }
    if (size < s->n) {
        bml_classify__shuffle(order, s->n, &rng);
    }
    for (int i = 0; i < size; i++) {
        double *to = m->centre + bml_classify__at(i, m->d);
        double *row = K + bml_classify__at(i, size);
        bml_classify__copy(to, bml_classify__row(s, order[i]), m->d);
        for (int j = 0; j <= i; j++) {
            row[j] = bml_classify__kernel(m, to, j);
        }
        row[i] += 1e-8; /* rows may coincide */
    }
    if (!bml_classify__cholesky(K, size)) {
        return 0;
    }
    for (int i = 0; i < size; i++) {
        for (int j = 0; j <= i; j++) {
            m->factor[bml_classify__at(j, size) + i] = K[bml_classify__at(i, size) + j];
        }
    }
    return 1;
}

static int bml_classify__learn_kernel(bml_classify__learner *m, const bml_classify_config *config,
                                      const bml_classify__sample *s, uint64_t seed, char *why) {
    bml_classify__room room = {NULL, 0};
    bml_classify__room scratch = {NULL, 0};
    bml_classify__sample lifted = *s;
    int size = config->centres < s->n ? config->centres : s->n;
    int P = (s->n_class - 1) * (size + 1);
    int *order;
    double *K;
    m->n_centres = size;
    m->width = 2 * m->d * config->scale * config->scale;
    m->l2 = config->l2;
    lifted.d = size;
    do {
        m->centre = bml_classify__take_doubles(&room, size, m->d);
        m->factor = bml_classify__take_doubles(&room, size, size);
        m->beta = bml_classify__take_doubles(&room, P, 1);
        m->covariance = bml_classify__take_doubles(&room, P, P);
    } while (bml_classify__again(&room));
    m->block = room.base;
    do {
        order = bml_classify__take_ints(&scratch, s->n);
        K = bml_classify__take_doubles(&scratch, size, size);
        lifted.z = bml_classify__take_doubles(&scratch, s->n, size);
    } while (bml_classify__again(&scratch));
    int status = room.base && scratch.base ? BML_CLASSIFY_OK : bml_classify__no_memory(why);
    if (!status && !bml_classify__place_centres(m, s, order, K, seed)) {
        status = bml_classify__fail(why, BML_CLASSIFY_NOT_CONVERGED, "kernel regression: its matrix is singular");
    }
    if (!status) {
        bml_classify__lift(lifted.z, m, s->z, s->n);
        status = bml_classify__fit_logistic(m, config->l2, &lifted, why);
    }
    BML_CLASSIFY_FREE(scratch.base);
    return status;
}

/* Adds to sd[n_class] of a row of probabilities p what the centres cannot tell. */
static void bml_classify__add_beyond(double *sd, const double *p, const double *phi, const bml_classify__learner *m) {
    double beyond = 1;
    double slope = p[0] * p[1];
    for (int j = 0; j < m->n_centres; j++) {
        beyond -= phi[j] * phi[j];
    }
    if (!(beyond > 0)) {
        return;
    }
    for (int k = 0; k < m->n_class; k++) {
        sd[k] = sqrt(sd[k] * sd[k] + slope * slope * beyond / m->l2);
    }
}

static int bml_classify__ask_kernel(double *p, double *sd, const bml_classify__learner *m, const double *z, int n) {
    enum { BLOCK = 256 };
    bml_classify__room room = {NULL, 0};
    int size = m->n_centres;
    double *phi;
    do
        phi = bml_classify__take_doubles(&room, BLOCK, size);
    while (bml_classify__again(&room));
    if (!phi) {
        return BML_CLASSIFY_NO_MEMORY;
    }
    for (int at = 0; at < n; at += BLOCK) {
        int rows = n - at < BLOCK ? n - at : BLOCK;
        double *to = p + bml_classify__at(at, m->n_class);
        double *doubt = sd ? sd + bml_classify__at(at, m->n_class) : NULL;
        bml_classify__lift(phi, m, z + bml_classify__at(at, m->d), rows);
        bml_classify__ask_logistic(to, doubt, m, phi, rows, size);
        for (int i = 0; i < rows && sd; i++) {
            ptrdiff_t row = bml_classify__at(i, m->n_class);
            bml_classify__add_beyond(doubt + row, to + row, phi + bml_classify__at(i, size), m);
        }
    }
    BML_CLASSIFY_FREE(room.base);
    return BML_CLASSIFY_OK;
}

/* >> trees

   One builder serves boosting and the forest. Columns are binned once. A node gathers the gradients and curvatures of
   its rows; for each column that it tries it gathers their bins, and then sums either by bin, to try all cuts in one
   sweep, or below one cut drawn at random. n_out scores are split together. */

enum { BML_CLASSIFY__BINS = 64 };
enum { BML_CLASSIFY__SUMS = 2 * BML_CLASSIFY__MAX_CLASSES };

typedef struct bml_classify__grower {
    bml_classify__learner *m;
    const bml_classify_config *config;
    const bml_classify__sample *s;
    unsigned char *bin;      /* [d][n] */
    double *cut;             /* [d][BINS] upper edge of each bin; the last bin has none */
    double *gh;              /* [n][n_out][2] gradient and curvature of the loss */
    int *row, *column;       /* rows of the tree, reordered as it grows; columns, drawn per node */
    double *node_gh;         /* [n][n_out][2] and */
    unsigned char *node_bin; /* [n] of the rows of the node at hand */
    double *histogram;       /* [BINS][1 + 2 n_out] count, sums of g and h */
    double *score;           /* [n][n_out] boost: before the next tree */
    int n_out, n_try;        /* columns tried per node */
    double rate;
    void *block;
    bml_classify_rng rng;
} bml_classify__grower;

typedef struct bml_classify__split_at { /* the best cut of a node so far */
    double gain;
    int column, bin; /* left: bins <= bin */
    int first, last; /* of the bins of the column at hand that occur in the node */
    int count;       /* rows of the node */
    const double *total;
} bml_classify__split_at;

/* The bin of a value among cuts cut[n]: 0 ... n. */
static int bml_classify__bin(double v, const double *cut, int n) {
    int lo = 0;
    int hi = n;
    while (lo < hi) {
        int middle = (lo + hi) / 2;
        if (v > cut[middle]) {
            lo = middle + 1;
        } else {
            hi = middle;
        }
    }
    return lo;
}

/* Bins column j at quantiles of its values: edges lie halfway between neighbouring values. */
static void bml_classify__bin_column(bml_classify__grower *a, int j, double *sorted) {
    const bml_classify__sample *s = a->s;
    double *cut = a->cut + bml_classify__at(j, BML_CLASSIFY__BINS);
    unsigned char *bin = a->bin + bml_classify__at(j, s->n);
    int n_cuts = 0;
    for (int i = 0; i < s->n; i++) {
        sorted[i] = bml_classify__row(s, i)[j];
    }
    bml_classify__sort(sorted, s->n);
    for (int k = 1; k < BML_CLASSIFY__BINS; k++) {
        int at = (int)(bml_classify__at(k, s->n) / BML_CLASSIFY__BINS);
        if (at < 1 || !(sorted[at - 1] < sorted[at])) {
            continue;
        }
        double edge = 0.5 * (sorted[at - 1] + sorted[at]);
        if (!n_cuts || edge > cut[n_cuts - 1]) {
            cut[n_cuts++] = edge;
        }
    }
    for (int i = 0; i < s->n; i++) {
        bin[i] = (unsigned char)bml_classify__bin(bml_classify__row(s, i)[j], cut, n_cuts);
    }
}

/* 0 without memory. What the trees keep goes to the learner, the rest to a->block. */
static int bml_classify__grower_start(bml_classify__grower *a, bml_classify__learner *m,
                                      const bml_classify_config *config, const bml_classify__sample *s, uint64_t seed) {
    bml_classify__room keep = {NULL, 0};
    bml_classify__room room = {NULL, 0};
    double *sorted;
    memset(a, 0, sizeof *a);
    m->n_out = s->n_class == 2 ? 1 : s->n_class;
    a->m = m;
    a->config = config;
    a->s = s;
    a->n_out = m->n_out;
    a->n_try = (int)ceil(config->column_share * s->d - 1e-9);
    if (a->n_try > s->d) {
        a->n_try = s->d;
    }
    if (a->n_try < 1) {
        a->n_try = 1;
    }
    a->rng = bml_classify__stream(seed, 0, 0, BML_CLASSIFY__STREAM_TREES);
    do
        m->root = bml_classify__take_ints(&keep, config->trees);
    while (bml_classify__again(&keep));
    m->block = keep.base;
    do {
        a->cut = bml_classify__take_doubles(&room, s->d, BML_CLASSIFY__BINS);
        a->gh = bml_classify__take_doubles(&room, s->n, 2 * m->n_out);
        a->node_gh = bml_classify__take_doubles(&room, s->n, 2 * m->n_out);
        a->histogram = bml_classify__take_doubles(&room, BML_CLASSIFY__BINS, 1 + 2 * m->n_out);
        a->score = bml_classify__take_doubles(&room, s->n, m->n_out);
        sorted = bml_classify__take_doubles(&room, s->n, 1);
        a->row = bml_classify__take_ints(&room, s->n);
        a->column = bml_classify__take_ints(&room, s->d);
        a->bin = (unsigned char *)bml_classify__take(&room, s->d, s->n, 1);
        a->node_bin = (unsigned char *)bml_classify__take(&room, s->n, 1, 1);
    } while (bml_classify__again(&room));
    a->block = room.base;
    if (!keep.base || !room.base) {
        return 0;
    }
    for (int j = 0; j < s->d; j++) {
        bml_classify__bin_column(a, j, sorted);
        a->column[j] = j;
    }
    return 1;
}

/* A new leaf; its number, or -1 without memory. */
static int bml_classify__new_node(bml_classify__learner *m) {
    if (m->n_nodes == m->room) {
        int room = m->room ? 2 * m->room : 256;
        void *node = bml_classify__grown(m->node, m->n_nodes, room, sizeof *m->node);
        ptrdiff_t old = bml_classify__at(m->n_nodes, m->n_out);
        void *value = bml_classify__grown(m->value, old, bml_classify__at(room, m->n_out), sizeof *m->value);
        if (!node || !value) {
            BML_CLASSIFY_FREE(node);
            BML_CLASSIFY_FREE(value);
            return -1;
        }
        BML_CLASSIFY_FREE(m->node);
        BML_CLASSIFY_FREE(m->value);
        m->node = (bml_classify__node *)node;
        m->value = (double *)value;
        m->room = room;
    }
    m->node[m->n_nodes].column = -1;
    return m->n_nodes++;
}

/* sum over outputs of G^2/(H + l2), of sum[n_out][2]. */
static double bml_classify__worth(const double *sum, int n_out, double l2) {
    double worth = 0;
    for (int k = 0; k < n_out; k++) {
        double G = sum[2 * k];
        double H = sum[2 * k + 1];
        worth += G * G / (H + l2 + 1e-300);
    }
    return worth;
}

/* Keeps a cut if it is the best yet. left[n_out][2] are the sums of n_left of the node's rows. */
static void bml_classify__consider(bml_classify__split_at *best, const bml_classify__grower *a, int j, int bin,
                                   const double *left, double n_left) {
    double right[BML_CLASSIFY__SUMS];
    int least = a->config->min_leaf;
    double l2 = a->config->l2;
    if (n_left < least || best->count - n_left < least) {
        return;
    }
    for (int k = 0; k < 2 * a->n_out; k++) {
        right[k] = best->total[k] - left[k];
    }
    double on_left = bml_classify__worth(left, a->n_out, l2);
    double on_right = bml_classify__worth(right, a->n_out, l2);
    double gain = on_left + on_right - bml_classify__worth(best->total, a->n_out, l2);
    if (!(gain > best->gain)) {
        return;
    }
    best->gain = gain;
    best->column = j;
    best->bin = bin;
}

/* All cuts of column j. */
static void bml_classify__all_cuts(bml_classify__split_at *best, const bml_classify__grower *a, int j) {
    int sums = 2 * a->n_out;
    int width = 1 + sums;
    double *histogram = a->histogram;
    double left[BML_CLASSIFY__SUMS];
    double n_left = 0;
    const double *gh = a->node_gh;
    bml_classify__clear(histogram + best->first * width, (best->last - best->first + 1) * width);
    for (int i = 0; i < best->count; i++) {
        double *to = histogram + a->node_bin[i] * width;
        to[0] += 1;
        for (int k = 0; k < sums; k++) {
            to[1 + k] += gh[k];
        }
        gh += sums;
    }
    bml_classify__clear(left, sums);
    for (int b = best->first; b < best->last; b++) {
        const double *of = histogram + b * width;
        if (!(of[0] > 0)) {
            continue; /* the same cut as the one before */
        }
        n_left += of[0];
        for (int k = 0; k < sums; k++) {
            left[k] += of[1 + k];
        }
        bml_classify__consider(best, a, j, b, left, n_left);
    }
}

/* One cut of column j at `bin`. */
static void bml_classify__one_cut(bml_classify__split_at *best, const bml_classify__grower *a, int j, int bin) {
    double left[BML_CLASSIFY__SUMS];
    int sums = 2 * a->n_out;
    int least = a->config->min_leaf;
    int n_left = 0;
    for (int i = 0; i < best->count; i++) {
        n_left += a->node_bin[i] <= bin;
    }
    if (n_left < least || best->count - n_left < least) {
        return;
    }
    for (int k = 0; k < a->n_out; k++) {
        double g = 0;
        double h = 0;
        const double *gh = a->node_gh + 2 * k;
        for (int i = 0; i < best->count; i++) {
            double in = a->node_bin[i] <= bin ? 1 : 0;
            g += in * gh[bml_classify__at(i, sums)];
            h += in * gh[bml_classify__at(i, sums) + 1];
        }
        left[2 * k] = g;
        left[2 * k + 1] = h;
    }
    bml_classify__consider(best, a, j, bin, left, n_left);
}

/* The best cut of rows lo ... hi-1 over n_try columns drawn without repetition. */
static bml_classify__split_at bml_classify__best_cut(bml_classify__grower *a, int lo, int hi, const double *total) {
    bml_classify__split_at best = {1e-12, -1, 0, 0, 0, hi - lo, total};
    for (int t = 0; t < a->n_try; t++) {
        int k = t + bml_classify__below(&a->rng, a->s->d - t);
        int j = a->column[k];
        const unsigned char *bin = a->bin + bml_classify__at(j, a->s->n);
        a->column[k] = a->column[t];
        a->column[t] = j;
        best.first = 255;
        best.last = 0;
        for (int i = lo; i < hi; i++) {
            unsigned char b = bin[a->row[i]];
            a->node_bin[i - lo] = b;
            best.first = b < best.first ? b : best.first;
            best.last = b > best.last ? b : best.last;
        }
        if (best.first >= best.last) {
            continue;
        }
        if (a->config->random_cuts) {
            bml_classify__one_cut(&best, a, j, best.first + bml_classify__below(&a->rng, best.last - best.first));
        } else {
            bml_classify__all_cuts(&best, a, j);
        }
    }
    return best;
}

/* Moves rows of the left side to the front of lo ... hi-1; returns where the right side begins. */
static int bml_classify__divide(bml_classify__grower *a, const bml_classify__split_at *cut, int lo, int hi) {
    const unsigned char *bin = a->bin + bml_classify__at(cut->column, a->s->n);
    while (lo < hi) {
        if (bin[a->row[lo]] <= cut->bin) {
            lo++;
        } else {
            int t = a->row[--hi];
            a->row[hi] = a->row[lo];
            a->row[lo] = t;
        }
    }
    return lo;
}

/* total[n_out][2]: the sums of rows lo ... hi-1, whose gradients and curvatures are gathered. */
static void bml_classify__gather_node(bml_classify__grower *a, double *total, int lo, int hi) {
    int sums = 2 * a->n_out;
    bml_classify__clear(total, sums);
    for (int i = lo; i < hi; i++) {
        const double *from = a->gh + bml_classify__at(a->row[i], sums);
        double *to = a->node_gh + bml_classify__at(i - lo, sums);
        for (int k = 0; k < sums; k++) {
            to[k] = from[k];
            total[k] += from[k];
        }
    }
}

/* Grows a node over rows lo ... hi-1; its number, or -1 without memory. Depth is bounded, and so is the recursion. */
static int bml_classify__grow(bml_classify__grower *a, int lo, int hi, int depth) {
    double total[BML_CLASSIFY__SUMS];
    int id = bml_classify__new_node(a->m);
    if (id < 0) {
        return -1;
    }
    bml_classify__gather_node(a, total, lo, hi);
    double *value = a->m->value + bml_classify__at(id, a->n_out);
    for (int k = 0; k < a->n_out; k++) {
        value[k] = -a->rate * total[2 * k] / (total[2 * k + 1] + a->config->l2 + 1e-300);
    }
    if (depth >= a->config->depth || hi - lo < 2 * a->config->min_leaf) {
        return id;
    }
    bml_classify__split_at cut = bml_classify__best_cut(a, lo, hi, total);
    if (cut.column < 0) {
        return id;
    }
    int middle = bml_classify__divide(a, &cut, lo, hi);
    int left = bml_classify__grow(a, lo, middle, depth + 1);
    int right = left < 0 ? -1 : bml_classify__grow(a, middle, hi, depth + 1);
    if (right < 0) {
        return -1;
    }
    bml_classify__node *node = &a->m->node[id];
    node->column = cut.column;
    node->cut = a->cut[bml_classify__at(cut.column, BML_CLASSIFY__BINS) + cut.bin];
    node->left = left;
    node->right = right;
    return id;
}

/* The leaf of a row z[d] in a tree. */
static const double *bml_classify__leaf(const bml_classify__learner *m, int tree, const double *z) {
    int id = m->root[tree];
    while (m->node[id].column >= 0) {
        const bml_classify__node *node = &m->node[id];
        id = z[node->column] > node->cut ? node->right : node->left;
    }
    return m->value + bml_classify__at(id, m->n_out);
}

/* Grows the next tree over the first n of a->row; 0 without memory. */
static int bml_classify__next_tree(bml_classify__grower *a, int n) {
    int root = bml_classify__grow(a, 0, n, 0);
    if (root < 0) {
        return 0;
    }
    a->m->root[a->m->n_trees++] = root;
    return 1;
}

static int bml_classify__learn_forest(bml_classify__learner *m, const bml_classify_config *config,
                                      const bml_classify__sample *s, uint64_t seed, char *why) {
    bml_classify__grower a;
    int ok = bml_classify__grower_start(&a, m, config, s, seed);
    a.rate = 1;
    for (int i = 0; i < s->n && ok; i++) {
        for (int k = 0; k < m->n_out; k++) {
            double *gh = a.gh + 2 * (bml_classify__at(i, m->n_out) + k);
            int own = s->y[i] == (m->n_out == 1 ? 1 : k);
            gh[0] = own ? -s->w[i] : 0;
            gh[1] = s->w[i];
        }
    }
    for (int t = 0; t < config->trees && ok; t++) {
        for (int i = 0; i < s->n; i++) {
            a.row[i] = bml_classify__below(&a.rng, s->n);
        }
        ok = bml_classify__next_tree(&a, s->n);
    }
    BML_CLASSIFY_FREE(a.block);
    return ok ? BML_CLASSIFY_OK : bml_classify__no_memory(why);
}

/* Gradient and curvature of the log loss at a->score. */
static void bml_classify__boost_gradient(bml_classify__grower *a) {
    double p[BML_CLASSIFY__MAX_CLASSES];
    const bml_classify__sample *s = a->s;
    for (int i = 0; i < s->n; i++) {
        ptrdiff_t at = bml_classify__at(i, a->n_out);
        bml_classify__softmax(p, a->score + at, s->n_class);
        for (int k = 0; k < a->n_out; k++) {
            int class_of = a->n_out == 1 ? 1 : k;
            double *gh = a->gh + 2 * (at + k);
            gh[0] = s->w[i] * (p[class_of] - (s->y[i] == class_of));
            gh[1] = s->w[i] * p[class_of] * (1 - p[class_of]);
        }
    }
}

/* The answer before the first tree: the logarithms of the classes' shares. */
static void bml_classify__boost_start(bml_classify__grower *a) {
    double share[BML_CLASSIFY__MAX_CLASSES] = {0};
    bml_classify__learner *m = a->m;
    for (int i = 0; i < a->s->n; i++) {
        share[a->s->y[i]] += a->s->w[i];
    }
    for (int k = 0; k < m->n_out; k++) {
        m->base[k] = m->n_out == 1 ? log(share[1] / share[0]) : log(share[k] + 1e-9);
    }
    for (int i = 0; i < a->s->n; i++) {
        a->row[i] = i;
        bml_classify__copy(a->score + bml_classify__at(i, m->n_out), m->base, m->n_out);
    }
}

static int bml_classify__learn_boost(bml_classify__learner *m, const bml_classify_config *config,
                                     const bml_classify__sample *s, uint64_t seed, char *why) {
    int drawn = (int)(config->row_share * s->n);
    bml_classify__grower a;
    int ok = bml_classify__grower_start(&a, m, config, s, seed);
    if (drawn < 2) {
        drawn = s->n;
    }
    a.rate = config->rate;
    if (ok) {
        bml_classify__boost_start(&a);
    }
    for (int t = 0; t < config->trees && ok; t++) {
        bml_classify__boost_gradient(&a);
        bml_classify__shuffle(a.row, s->n, &a.rng);
        ok = bml_classify__next_tree(&a, drawn);
        for (int i = 0; i < s->n && ok; i++) {
            const double *leaf = bml_classify__leaf(m, t, bml_classify__row(s, i));
            double *score = a.score + bml_classify__at(i, m->n_out);
            for (int k = 0; k < m->n_out; k++) {
                score[k] += leaf[k];
            }
        }
    }
    BML_CLASSIFY_FREE(a.block);
    return ok ? BML_CLASSIFY_OK : bml_classify__no_memory(why);
}

/* p[n_class] of a forest from the sums of its trees' answers. */
static void bml_classify__forest_mean(double *p, const double *sum, const bml_classify__learner *m) {
    double all = 0;
    for (int k = 0; k < m->n_out; k++) {
        all += sum[k];
    }
    for (int k = 0; k < m->n_class && m->n_out > 1; k++) {
        p[k] = sum[k] / all;
    }
    if (m->n_out > 1) {
        return;
    }
    p[1] = sum[0] / m->n_trees;
    p[0] = 1 - p[1];
}

/* p and sd (or NULL) of one row z[d]. */
static void bml_classify__ask_trees(double *p, double *sd, const bml_classify__learner *m, const double *z) {
    double sum[BML_CLASSIFY__MAX_CLASSES];
    double square[BML_CLASSIFY__MAX_CLASSES];
    int forest = m->kind == BML_CLASSIFY_FOREST;
    for (int k = 0; k < m->n_out; k++) {
        sum[k] = forest ? 0 : m->base[k];
        square[k] = 0;
    }
    for (int t = 0; t < m->n_trees; t++) {
        const double *leaf = bml_classify__leaf(m, t, z);
        for (int k = 0; k < m->n_out; k++) {
            sum[k] += leaf[k];
            square[k] += leaf[k] * leaf[k];
        }
    }
    if (forest) {
        bml_classify__forest_mean(p, sum, m);
    } else {
        bml_classify__softmax(p, sum, m->n_class);
    }
    for (int k = 0; k < m->n_class && sd; k++) {
        int of = m->n_out == 1 ? 1 : k; /* with one output, the sd of either class is that of class 1 */
        double var = square[m->n_out == 1 ? 0 : k] / m->n_trees - p[of] * p[of];
        sd[k] = forest ? sqrt(var > 0 ? var : 0) : BML_CLASSIFY__NAN;
    }
}

/* >> networks

   The columns are sorted into branches, energy and time, each with layers of its own, which are then joined; what
   belongs to neither (latitude, other tables) joins with the energy in a dense net, and after the branches in a
   recurrent one.
     DNN  per branch a dense layer; joined, two more, and the logits. tanh: raw fluxes reach 60 sd, and a unit that
          saturates does not let those few sources draw the border
     RNN  per branch three SimpleRNN layers, bands or years as steps; joined, the logits
     BNN  two Bayesian (Flipout) ReLU layers and Bayesian logits, over all inputs together
   All are trained by categorical cross-entropy with Adam. */

#if !defined(BML_CLASSIFY__NN) || defined(BML_NN_NO_TRAINING)
static void bml_classify__net_free(struct bml_classify__net *net) {
    (void)net;
}
static int bml_classify__learn_net(bml_classify__learner *m, const bml_classify_config *config,
                                   const bml_classify__sample *s, uint64_t seed, char *why) {
    (void)m;
    (void)s;
    (void)seed;
    return bml_classify__fail(why, BML_CLASSIFY_NO_NETWORKS,
                              "%s: compiled without networks: bml_nn.h must stand beside bml_classify.h",
                              bml_classify_model_name(config->model));
}
static int bml_classify__ask_net(double *p, double *sd, const bml_classify__learner *m, const double *z, int n) {
    (void)p;
    (void)sd;
    (void)m;
    (void)z;
    (void)n;
    return BML_CLASSIFY_NO_NETWORKS;
}
#else
enum { BML_CLASSIFY__ROWS = 512 };  /* asked at a time */
enum { BML_CLASSIFY__LAYERS = 24 }; /* of the largest net */

typedef struct bml_classify__net {
    bml_nn *net;
    int *order; /* [d] column of the sample at each input of the net */
    int draws;  /* 0: nothing random */
    uint64_t seed;
} bml_classify__net;

static void bml_classify__net_free(struct bml_classify__net *net) {
    if (!net) {
        return;
    }
    bml_nn_free(net->net);
    BML_CLASSIFY_FREE(net);
}

/* Sorts columns by branch; count[3] are those of energy, time and place. */
static void bml_classify__branches(int *order, int *count, const bml_classify__sample *s) {
    int n = 0;
    for (int b = 0; b < 3; b++) {
        count[b] = 0;
        for (int j = 0; j < s->d; j++) {
            int group = s->group ? s->group[j] : BML_CLASSIFY_ENERGY;
            int of = 2;
            if (group == BML_CLASSIFY_ENERGY) {
                of = 0;
            }
            if (group == BML_CLASSIFY_TIME) {
                of = 1;
            }
            if (of != b) {
                continue;
            }
            order[n++] = j;
            count[b]++;
        }
    }
}

typedef struct bml_classify__design { /* the layers of a net */
    bml_nn_layer layer[BML_CLASSIFY__LAYERS];
    int n;
    const bml_classify_config *config;
} bml_classify__design;

/* A layer of that kind after the one before it. */
static bml_nn_layer *bml_classify__layer(bml_classify__design *design, int kind, int units, int activation) {
    bml_nn_layer *layer = &design->layer[design->n++];
    memset(layer, 0, sizeof *layer);
    layer->kind = kind;
    layer->units = units;
    layer->activation = activation;
    return layer;
}

/* The branch of one input: dense, one layer; recurrent, three. */
static void bml_classify__branch(bml_classify__design *design, int count, const char *input, const char *end) {
    int rnn = design->config->model == BML_CLASSIFY_RNN;
    bml_nn_layer *layer = bml_classify__layer(design, BML_NN_INPUT, 0, 0);
    layer->name = input;
    layer->features = rnn ? 1 : count;
    layer->steps = rnn ? count : 0;
    for (int k = 0; k < 3 && rnn; k++) {
        layer = bml_classify__layer(design, BML_NN_RNN, design->config->hidden, 0);
        layer->sequence = k < 2;
    }
    if (!rnn) {
        layer = bml_classify__layer(design, BML_NN_DENSE, design->config->hidden, BML_NN_TANH);
    }
    layer->name = end;
}

/* The Bayesian net over `in` inputs. */
static void bml_classify__design_bayes(bml_classify__design *design, int in, int n_class) {
    bml_classify__layer(design, BML_NN_INPUT, 0, 0)->features = in;
    for (int k = 0; k < 2; k++) {
        bml_classify__layer(design, BML_NN_BAYES, design->config->hidden, BML_NN_RELU);
    }
    bml_classify__layer(design, BML_NN_BAYES, n_class, 0);
}

/* A dense or recurrent net over count[3] inputs of energy, time and place. */
static void bml_classify__design_branches(bml_classify__design *design, const int *count, int n_class) {
    static const char *const ends[3] = {"energy_end", "time_end", "place"};
    static const char *const inputs[2] = {"energy", "time"};
    int rnn = design->config->model == BML_CLASSIFY_RNN;
    int in[3] = {count[0], count[1], count[2]};
    int joined = 0;
    if (!rnn && in[0]) {
        in[0] += in[2];
        in[2] = 0;
    }
    for (int b = 0; b < 2; b++) {
        if (in[b]) {
            bml_classify__branch(design, in[b], inputs[b], ends[b]);
        }
    }
    if (in[2]) {
        bml_nn_layer *place = bml_classify__layer(design, BML_NN_INPUT, 0, 0);
        place->name = ends[2];
        place->features = in[2];
    }
    if ((in[0] > 0) + (in[1] > 0) + (in[2] > 0) > 1) {
        bml_nn_layer *join = bml_classify__layer(design, BML_NN_CONCAT, 0, 0);
        for (int b = 0; b < 3; b++) {
            if (in[b]) {
                join->from[joined++] = ends[b];
            }
        }
    }
    for (int k = 0; k < 2 && !rnn; k++) {
        bml_classify__layer(design, BML_NN_DENSE, design->config->hidden, BML_NN_TANH);
    }
    bml_classify__layer(design, BML_NN_DENSE, n_class, 0);
}

/* x[n][d] in the net's order. */
static void bml_classify__to_net(bml_nn_real *x, const double *z, const int *order, int n, int d) {
    for (int i = 0; i < n; i++) {
        ptrdiff_t at = bml_classify__at(i, d);
        for (int j = 0; j < d; j++) {
            x[at + j] = (bml_nn_real)z[at + order[j]];
        }
    }
}

/* Trains `net` on the sample; a status of bml_nn.h. */
static int bml_classify__train_net(bml_classify__net *net, const bml_classify_config *c, const bml_classify__sample *s,
                                   uint64_t seed) {
    bml_classify__room room = {NULL, 0};
    bml_nn_real *x;
    bml_nn_real *y;
    bml_nn_real *w;
    do {
        x = (bml_nn_real *)bml_classify__take(&room, s->n, s->d, sizeof *x);
        y = (bml_nn_real *)bml_classify__take(&room, s->n, s->n_class, sizeof *y);
        w = (bml_nn_real *)bml_classify__take(&room, s->n, 1, sizeof *w);
    } while (bml_classify__again(&room));
    if (!room.base) {
        return BML_NN_NO_MEMORY;
    }
    bml_classify__to_net(x, s->z, net->order, s->n, s->d);
    for (int i = 0; i < s->n; i++) {
        y[bml_classify__at(i, s->n_class) + s->y[i]] = 1;
        w[i] = (bml_nn_real)s->w[i];
    }
    bml_nn_training t;
    memset(&t, 0, sizeof t);
    t.x = x;
    t.y = y;
    t.n = (size_t)s->n;
    t.weights = c->class_weights ? w : NULL;
    t.loss = BML_NN_CATEGORICAL_LOGITS;
    t.learning_rate = c->rate;
    t.l2 = c->l2;
    t.batch = c->batch < s->n ? c->batch : s->n;
    t.epochs = c->epochs;
    t.schedule = c->cosine ? BML_NN_COSINE : BML_NN_CONSTANT;
    t.keep_last = 1;
    t.seed = seed;
    int status = bml_nn_train(net->net, &t, NULL);
    BML_CLASSIFY_FREE(room.base);
    return status;
}

static int bml_classify__learn_net(bml_classify__learner *m, const bml_classify_config *config,
                                   const bml_classify__sample *s, uint64_t seed, char *why) {
    bml_classify__room room = {NULL, 0};
    bml_classify__net *net;
    int *order;
    do {
        net = (bml_classify__net *)bml_classify__take(&room, 1, 1, sizeof *net);
        order = bml_classify__take_ints(&room, s->d);
    } while (bml_classify__again(&room));
    if (!room.base) {
        return bml_classify__no_memory(why);
    }
    m->net = net;
    net->order = order;
    net->draws = config->model == BML_CLASSIFY_BNN ? config->draws : 0;
    net->seed = seed;
    int count[3];
    bml_classify__branches(order, count, s);
    bml_classify__design design;
    design.n = 0;
    design.config = config;
    if (config->model == BML_CLASSIFY_BNN) {
        bml_classify__design_bayes(&design, s->d, s->n_class);
    } else {
        bml_classify__design_branches(&design, count, s->n_class);
    }
    bml_nn_config how;
    memset(&how, 0, sizeof how);
    how.layers = design.layer;
    how.n_layers = design.n;
    how.seed = seed;
    char reason[BML_NN_MESSAGE] = "";
    int status = bml_nn_create(&net->net, &how, reason);
    if (!status) {
        status = bml_classify__train_net(net, config, s, seed);
    }
    if (!status) {
        return BML_CLASSIFY_OK;
    }
    if (status == BML_NN_NO_MEMORY) {
        return bml_classify__no_memory(why);
    }
    int mine = status == BML_NN_NAN ? BML_CLASSIFY_NOT_CONVERGED : BML_CLASSIFY_BAD_ARGUMENT;
    return bml_classify__fail(why, mine, "%s: %s: %.300s", bml_classify_model_name(config->model),
                              bml_nn_strerror(status), net->net ? bml_nn_message(net->net) : reason);
}

/* Adds the probabilities of one draw, logits[n_class], to the sums of them and of their squares, over n_draws. */
static void bml_classify__add_draw(double *sum, double *square, const bml_nn_real *logits, int n_class, int n_draws) {
    double p[BML_CLASSIFY__MAX_CLASSES];
    double score[BML_CLASSIFY__MAX_CLASSES];
    for (int k = 0; k < n_class; k++) {
        score[k] = (double)logits[k];
    }
    if (n_class == 2) {
        score[0] = score[1] - score[0];
    }
    bml_classify__softmax(p, score, n_class);
    for (int k = 0; k < n_class; k++) {
        sum[k] += p[k] / n_draws;
        square[k] += p[k] * p[k] / n_draws;
    }
}

/* Mean and sd of the probabilities over draws of logits[n_draws][n][n_class]. */
static void bml_classify__of_draws(double *p, double *sd, const bml_nn_real *logits, int n_draws, int n, int n_class) {
    double square[BML_CLASSIFY__MAX_CLASSES];
    for (int i = 0; i < n; i++) {
        ptrdiff_t at = bml_classify__at(i, n_class);
        double *to = p + at;
        bml_classify__clear(to, n_class);
        bml_classify__clear(square, n_class);
        for (int t = 0; t < n_draws; t++) {
            bml_classify__add_draw(to, square, logits + bml_classify__at(t, n) * n_class + at, n_class, n_draws);
        }
        for (int k = 0; k < n_class && sd; k++) {
            double var = square[k] - to[k] * to[k];
            sd[at + k] = n_draws > 1 ? sqrt(var > 0 ? var : 0) : BML_CLASSIFY__NAN;
        }
    }
}

/* p[rows][n_class] and sd of rows z[rows][d], at most ROWS of them; x and y are the net's; a status of bml_nn.h. */
static int bml_classify__ask_rows(double *p, double *sd, const bml_classify__learner *m, const double *z, int rows,
                                  bml_nn_real *x, bml_nn_real *y, bml_nn_work *work) {
    const bml_classify__net *net = m->net;
    int draws = net->draws > 1 ? net->draws : 1;
    ptrdiff_t count = bml_classify__at(draws, rows) * m->n_class;
    int status;
    bml_classify__to_net(x, z, net->order, rows, m->d);
    if (net->draws) {
        status = bml_nn_draws(net->net, work, y, x, (size_t)rows, draws, net->seed);
    } else {
        status = bml_nn_predict(net->net, work, y, x, (size_t)rows);
    }
    if (status) return status;
    for (ptrdiff_t i = 0; i < count; i++) {
        if (!isfinite(y[i])) {
            return BML_NN_NAN;
        }
    }
    bml_classify__of_draws(p, sd, y, draws, rows, m->n_class);
    return BML_NN_OK;
}

static int bml_classify__ask_net(double *p, double *sd, const bml_classify__learner *m, const double *z, int n) {
    bml_classify__room room = {NULL, 0};
    int draws = m->net->draws > 1 ? m->net->draws : 1;
    bml_nn_real *x;
    bml_nn_real *y;
    do {
        x = (bml_nn_real *)bml_classify__take(&room, BML_CLASSIFY__ROWS, m->d, sizeof *x);
        y = (bml_nn_real *)bml_classify__take(&room, bml_classify__at(draws, BML_CLASSIFY__ROWS), m->n_class,
                                              sizeof *y);
    } while (bml_classify__again(&room));
    if (!room.base) {
        return BML_CLASSIFY_NO_MEMORY;
    }
    bml_nn_work *work = NULL;
    int status = bml_nn_work_create(&work, m->net->net, 48, 1, NULL);
    for (int at = 0; at < n && !status; at += BML_CLASSIFY__ROWS) {
        int rows = n - at < BML_CLASSIFY__ROWS ? n - at : BML_CLASSIFY__ROWS;
        double *to = p + bml_classify__at(at, m->n_class);
        double *doubt = sd ? sd + bml_classify__at(at, m->n_class) : NULL;
        status = bml_classify__ask_rows(to, doubt, m, z + bml_classify__at(at, m->d), rows, x, y, work);
    }
    bml_nn_work_free(work);
    BML_CLASSIFY_FREE(room.base);
    if (status == BML_NN_OK) {
        return BML_CLASSIFY_OK;
    }
    if (status == BML_NN_NAN) {
        return BML_CLASSIFY_NOT_CONVERGED;
    }
    return status == BML_NN_NO_MEMORY ? BML_CLASSIFY_NO_MEMORY : BML_CLASSIFY_BAD_ARGUMENT;
}
#endif

static void bml_classify__learner_free(bml_classify__learner *m) {
    BML_CLASSIFY_FREE(m->block);
    BML_CLASSIFY_FREE(m->node);
    BML_CLASSIFY_FREE(m->value);
    bml_classify__net_free(m->net);
    memset(m, 0, sizeof *m);
}

static int bml_classify__learn(bml_classify__learner *m, const bml_classify_config *config,
                               const bml_classify__sample *s, uint64_t seed, char *why) {
    m->kind = config->model;
    m->d = s->d;
    m->n_class = s->n_class;
    switch (config->model) {
    case BML_CLASSIFY_LOGISTIC: return bml_classify__learn_logistic(m, config, s, why);
    case BML_CLASSIFY_FOREST: return bml_classify__learn_forest(m, config, s, seed, why);
    case BML_CLASSIFY_BOOST: return bml_classify__learn_boost(m, config, s, seed, why);
    case BML_CLASSIFY_KERNEL: return bml_classify__learn_kernel(m, config, s, seed, why);
    default: return bml_classify__learn_net(m, config, s, seed, why);
    }
}

/* p[n][n_class] of z[n][d]; sd likewise, or NULL. */
static int bml_classify__ask(double *p, double *sd, const bml_classify__learner *m, const double *z, int n) {
    switch (m->kind) {
    case BML_CLASSIFY_LOGISTIC: bml_classify__ask_logistic(p, sd, m, z, n, m->d); return BML_CLASSIFY_OK;
    case BML_CLASSIFY_KERNEL: return bml_classify__ask_kernel(p, sd, m, z, n);
    case BML_CLASSIFY_FOREST:
    case BML_CLASSIFY_BOOST: break;
    default: return bml_classify__ask_net(p, sd, m, z, n);
    }
    for (int i = 0; i < n; i++) {
        ptrdiff_t to = bml_classify__at(i, m->n_class);
        bml_classify__ask_trees(p + to, sd ? sd + to : NULL, m, z + bml_classify__at(i, m->d));
    }
    return BML_CLASSIFY_OK;
}

/* >> balance

   SMOTE, and weights by class. */

enum { BML_CLASSIFY__NEIGHBOURS = 5 };

/* The rows of list[m] nearest to x[d], by z[.][d], but for place `skip`: their distances squared, rising, and places in
   the list; their number, NEIGHBOURS or fewer. */
static int bml_classify__nearest(double *distance2, int *place, const double *x, const double *z, const int *list,
                                 int m, int d, int skip) {
    int n = 0;
    for (int i = 0; i < m; i++) {
        if (i == skip) {
            continue;
        }
        double r = bml_classify__distance2(x, z + bml_classify__at(list[i], d), d);
        if (n == BML_CLASSIFY__NEIGHBOURS && !(r < distance2[n - 1])) {
            continue;
        }
        if (n < BML_CLASSIFY__NEIGHBOURS) {
            n++;
        }
        int k = n - 1;
        for (; k > 0 && distance2[k - 1] > r; k--) {
            distance2[k] = distance2[k - 1];
            place[k] = place[k - 1];
        }
        distance2[k] = r;
        place[k] = i;
    }
    return n;
}

/* Appends `extra` new rows of class k, whose m rows are list[m], to the sample, which has room. Each row takes its turn
   as a, in random order, so that no row is far more often used than another. */
static void bml_classify__smote_class(bml_classify__sample *s, int k, int *list, int m, int extra,
                                      bml_classify_rng *rng) {
    double distance2[BML_CLASSIFY__NEIGHBOURS];
    int place[BML_CLASSIFY__NEIGHBOURS];
    bml_classify__shuffle(list, m, rng);
    for (int e = 0; e < extra; e++) {
        int turn = e % m;
        const double *a = bml_classify__row(s, list[turn]);
        const double *b = a;
        double u = bml_classify_rng_uniform(rng);
        double *to = s->z + bml_classify__at(s->n, s->d);
        int n = bml_classify__nearest(distance2, place, a, s->z, list, m, s->d, turn);
        if (n) {
            b = bml_classify__row(s, list[place[bml_classify__below(rng, n)]]);
        }
        for (int j = 0; j < s->d; j++) {
            to[j] = a[j] + u * (b[j] - a[j]);
        }
        s->y[s->n++] = k;
    }
}

/* Rows of class k after SMOTE; `most` is the size of the largest class. */
static int bml_classify__smote_target(const bml_classify_config *config, int k, int have, int most) {
    int want = most;
    if (config->smote == BML_CLASSIFY_NO_SMOTE || !have) {
        return have;
    }
    if (config->smote == BML_CLASSIFY_SMOTE_FULL) {
        want = most < INT_MAX / 2 ? 2 * most : most;
        if (config->smote_to) {
            want = config->smote_to[k];
        }
    }
    return want > have ? want : have;
}

/* want[n_class] and their sum, or -1 for too many; have[n_class] counts the present rows. */
static int bml_classify__smote_targets(int *want, const int *have, int n_class, const bml_classify_config *config) {
    int most = 0;
    int total = 0;
    for (int k = 0; k < n_class; k++) {
        most = have[k] > most ? have[k] : most;
    }
    for (int k = 0; k < n_class; k++) {
        want[k] = bml_classify__smote_target(config, k, have[k], most);
        if (want[k] > 10000000) {
            return -1;
        }
        total += want[k];
    }
    return total;
}

/* New rows behind the present ones, for which s has room. list[n] is scratch. */
static void bml_classify__smote(bml_classify__sample *s, const int *want, const int *have, int *list, uint64_t seed) {
    bml_classify_rng rng = bml_classify__stream(seed, 0, 0, BML_CLASSIFY__STREAM_SMOTE);
    int old = s->n;
    for (int k = 0; k < s->n_class; k++) {
        int m = 0;
        for (int i = 0; i < old; i++) {
            if (s->y[i] == k) {
                list[m++] = i;
            }
        }
        bml_classify__smote_class(s, k, list, m, want[k] - have[k], &rng);
    }
}

static void bml_classify__weights(bml_classify__sample *s, int by_class) {
    double count[BML_CLASSIFY__MAX_CLASSES] = {0};
    int classes = 0;
    for (int i = 0; i < s->n; i++) {
        classes += count[s->y[i]] < 1;
        count[s->y[i]] += 1;
    }
    for (int i = 0; i < s->n; i++) {
        s->w[i] = by_class ? s->n / (classes * count[s->y[i]]) : 1;
    }
}

/* >> fitting

   Everything that is learned, scaling, new rows, inner folds, calibration, is learned here from the rows handed in. */

typedef struct bml_classify__scaling { /* of the features in use */
    int d;
    int *column;  /* [d] features of the data */
    double *mean; /* [d] of the training rows */
    double *unit; /* [d] 1/sd of them; 0 for a constant column */
    void *block;
} bml_classify__scaling;

struct bml_classify_model {
    int kind, n_class, d_data;
    bml_classify__scaling scaling;
    bml_classify__learner *copy;
    int n_copies;
    bml_classify_model **member; /* of a stack */
    double *weight;              /* [n_members] */
    int n_members;
    int calibrate;
    double temperature;
    double *knot_x[BML_CLASSIFY__MAX_CLASSES], *knot[BML_CLASSIFY__MAX_CLASSES]; /* isotonic, per class */
    int n_knots[BML_CLASSIFY__MAX_CLASSES];
    void *knots;
};

BML_CLASSIFY_DEF const char *bml_classify_model_name(int model) {
    static const char *const name[BML_CLASSIFY_N_MODELS] = {"logistic", "forest", "boost",  "dnn",
                                                            "rnn",      "bnn",    "kernel", "stack"};
    return model >= 0 && model < BML_CLASSIFY_N_MODELS ? name[model] : "?";
}

/* A member of the configuration: its range, and what 0 means, for all models but the exceptions below. */
typedef struct bml_classify__rule {
    const char *name;
    size_t offset;
    int is_real;
    double lo, hi, preset;
} bml_classify__rule;

#define BML_CLASSIFY__INTEGER(member) #member, offsetof(bml_classify_config, member), 0
#define BML_CLASSIFY__REAL(member) #member, offsetof(bml_classify_config, member), 1
static const bml_classify__rule bml_classify__rules[] = {
    {BML_CLASSIFY__INTEGER(copies), 1, 10000, 1},
    {BML_CLASSIFY__INTEGER(smote), 0, BML_CLASSIFY_SMOTE_FULL, 0},
    {BML_CLASSIFY__INTEGER(class_weights), 0, 1, 0},
    {BML_CLASSIFY__INTEGER(calibrate), 0, BML_CLASSIFY_ISOTONIC, 0},
    {BML_CLASSIFY__INTEGER(folds), 2, 1000, 5},
    {BML_CLASSIFY__REAL(l2), 0, 1e30, 0},
    {BML_CLASSIFY__INTEGER(trees), 1, 1e6, 150},
    {BML_CLASSIFY__INTEGER(depth), 1, 64, 3},
    {BML_CLASSIFY__INTEGER(min_leaf), 1, 1e9, 10},
    {BML_CLASSIFY__REAL(rate), 1e-12, 1e3, 0.01},
    {BML_CLASSIFY__REAL(row_share), 1e-9, 1, 0.7},
    {BML_CLASSIFY__REAL(column_share), 1e-9, 1, 0.5},
    {BML_CLASSIFY__REAL(scale), 1e-9, 1e9, 1.5},
    {BML_CLASSIFY__INTEGER(centres), 1, 1e6, 200},
    {BML_CLASSIFY__INTEGER(random_cuts), 0, 1, 0},
    {BML_CLASSIFY__INTEGER(epochs), 1, 1e9, 50},
    {BML_CLASSIFY__INTEGER(batch), 1, 1e9, 64},
    {BML_CLASSIFY__INTEGER(hidden), 1, 1e5, 16},
    {BML_CLASSIFY__INTEGER(cosine), 0, 1, 0},
    {BML_CLASSIFY__INTEGER(draws), 1, 1e6, 500},
    {NULL, 0, 0, 0, 0, 0},
};
#undef BML_CLASSIFY__INTEGER
#undef BML_CLASSIFY__REAL

static const struct bml_classify__exception {
    int model;
    const char *name;
    double preset;
} bml_classify__exceptions[] = {
    {BML_CLASSIFY_LOGISTIC, "l2", 1},     {BML_CLASSIFY_KERNEL, "l2", 0.05},   {BML_CLASSIFY_FOREST, "l2", 1e-9},
    {BML_CLASSIFY_BOOST, "l2", 3},        {BML_CLASSIFY_FOREST, "trees", 300}, {BML_CLASSIFY_FOREST, "depth", 20},
    {BML_CLASSIFY_FOREST, "min_leaf", 2}, {BML_CLASSIFY_BOOST, "rate", 0.08},  {BML_CLASSIFY_RNN, "rate", 0.001},
    {BML_CLASSIFY_BNN, "rate", 0.001},    {BML_CLASSIFY_RNN, "batch", 32},     {BML_CLASSIFY_BNN, "batch", 32},
    {BML_CLASSIFY_RNN, "hidden", 8},      {BML_CLASSIFY_BNN, "epochs", 250},   {BML_CLASSIFY_N_MODELS, "", 0},
};

static double bml_classify__preset(const bml_classify__rule *rule, int model) {
    const struct bml_classify__exception *e = bml_classify__exceptions;
    for (; *e->name; e++) {
        if (e->model == model && !strcmp(e->name, rule->name)) {
            return e->preset;
        }
    }
    return rule->preset;
}

/* Every default in one place. d is the number of features in use. */
static int bml_classify__resolve(bml_classify_config *c, const bml_classify_config *given, int d, char *why) {
    *c = *given;
    if (c->model < 0 || c->model >= BML_CLASSIFY_N_MODELS) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "model = %d: must be in [0, %d]", c->model,
                                  BML_CLASSIFY_N_MODELS - 1);
    }
    if (d < 1) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "no features");
    }
    const char *model = bml_classify_model_name(c->model);
    if (c->model == BML_CLASSIFY_FOREST && c->column_share == 0) {
        c->column_share = sqrt((double)d) / d;
    }
    for (const bml_classify__rule *rule = bml_classify__rules; rule->name; rule++) {
        char *member = (char *)c + rule->offset;
        double value = rule->is_real ? *(double *)(void *)member : *(int *)(void *)member;
        double preset = bml_classify__preset(rule, c->model);
        if (value == 0) {
            value = preset;
        }
        if (!(value >= rule->lo && value <= rule->hi)) {
            return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT,
                                      "%s: %s = %g: must be in [%g, %g], or 0 for the default, %g", model, rule->name,
                                      value, rule->lo, rule->hi, preset);
        }
        if (rule->is_real) {
            *(double *)(void *)member = value;
        } else {
            *(int *)(void *)member = (int)value;
        }
    }
    if (c->model != BML_CLASSIFY_STACK) {
        return BML_CLASSIFY_OK;
    }
    if (!c->member || c->n_members < 1 || c->n_members > 1000) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "stack: n_members = %d: must be in [1, 1000]",
                                  c->member ? c->n_members : 0);
    }
    for (int i = 0; i < c->n_members; i++) {
        if (c->member[i].model == BML_CLASSIFY_STACK) {
            return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "stack: member %d is a stack", i);
        }
    }
    return BML_CLASSIFY_OK;
}

/* What a value of a feature must not be. */
static int bml_classify__check_feature(const bml_classify_data *data, int row, int feature, char *why) {
    double v = data->x[bml_classify__at(row, data->d) + feature];
    if (isnan(v) || fabs(v) <= bml_classify__largest) {
        return BML_CLASSIFY_OK;
    }
    return bml_classify__fail(why, BML_CLASSIFY_BAD_VALUE, "row %d, feature %d: %s", row + 1, feature + 1,
                              isinf(v) ? "infinite" : "beyond 1e100: no measurement");
}

/* Mean and 1/sd of feature `at` over the training rows, into place j of the scaling. */
static int bml_classify__scale_feature(bml_classify__scaling *s, int j, int at, const bml_classify_data *data,
                                       const int *rows, int n_rows, char *why) {
    int n = 0;
    double sum = 0;
    double var = 0;
    double size = 0;
    for (int i = 0; i < n_rows; i++) {
        double v = data->x[bml_classify__at(rows[i], data->d) + at];
        int status = bml_classify__check_feature(data, rows[i], at, why);
        if (status) return status;
        if (isnan(v)) {
            continue;
        }
        sum += v;
        size = fabs(v) > size ? fabs(v) : size;
        n++;
    }
    if (!n) {
        return bml_classify__fail(why, BML_CLASSIFY_EMPTY_COLUMN, "feature %d, '%.47s': NaN in every training row",
                                  at + 1, data->feature ? data->feature[at] : "");
    }
    s->mean[j] = sum / n;
    for (int i = 0; i < n_rows; i++) {
        double v = data->x[bml_classify__at(rows[i], data->d) + at] - s->mean[j];
        if (!isnan(v)) {
            var += v / size * (v / size); /* fluxes of 1e-200 have squares too */
        }
    }
    double sd = size > 0 ? sqrt(var / n) : 0;
    s->unit[j] = sd > 1e-12 ? 1 / (sd * size) : 0; /* below: constant, but for rounding */
    return BML_CLASSIFY_OK;
}

/* The features columns[n_columns] (NULL: all), and their means and sds over the training rows. Free s->block. */
static int bml_classify__scale(bml_classify__scaling *s, const int *columns, int n_columns,
                               const bml_classify_data *data, const int *rows, int n_rows, char *why) {
    bml_classify__room room = {NULL, 0};
    s->d = columns ? n_columns : data->d;
    if (s->d < 1) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "no features");
    }
    do {
        s->column = bml_classify__take_ints(&room, s->d);
        s->mean = bml_classify__take_doubles(&room, s->d, 1);
        s->unit = bml_classify__take_doubles(&room, s->d, 1);
    } while (bml_classify__again(&room));
    s->block = room.base;
    if (!room.base) {
        return bml_classify__no_memory(why);
    }
    int status = BML_CLASSIFY_OK;
    for (int j = 0; j < s->d && !status; j++) {
        int at = bml_classify__pick(columns, j);
        s->column[j] = at;
        if (at < 0 || at >= data->d) {
            status = bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "no feature %d", at);
        } else {
            status = bml_classify__scale_feature(s, j, at, data, rows, n_rows, why);
        }
    }
    return status;
}

/* z[n_rows][d] of rows[n_rows] (NULL: 0 ... n_rows-1). */
static void bml_classify__standardise(double *z, const bml_classify__scaling *s, const bml_classify_data *data,
                                      const int *rows, int n_rows) {
    for (int i = 0; i < n_rows; i++) {
        const double *x = data->x + bml_classify__at(bml_classify__pick(rows, i), data->d);
        double *to = z + bml_classify__at(i, s->d);
        for (int j = 0; j < s->d; j++) {
            double v = (x[s->column[j]] - s->mean[j]) * s->unit[j];
            to[j] = isfinite(v) ? v : 0;
        }
    }
}

/* The copies of a model that is no stack, on a sample with room for `total` rows. */
static int bml_classify__fit_copies(bml_classify_model *m, const bml_classify_config *c, bml_classify__sample *s,
                                    char *why) {
    int status = BML_CLASSIFY_OK;
    bml_classify__weights(s, c->class_weights);
    for (int i = 0; i < c->copies && !status; i++) {
        m->n_copies = i + 1; /* also a half-made one is freed */
        uint64_t seed = c->seed + (uint64_t)i * 0x9E3779B97F4A7C15u;
        status = bml_classify__learn(&m->copy[i], c, s, seed, why);
    }
    return status;
}

/* One model that is no stack: scaling, balance, and its copies. */
static int bml_classify__fit_single(bml_classify_model *m, const bml_classify_config *c, const bml_classify_data *data,
                                    const int *rows, int n_rows, char *why) {
    int have[BML_CLASSIFY__MAX_CLASSES] = {0};
    int want[BML_CLASSIFY__MAX_CLASSES];
    for (int i = 0; i < n_rows; i++) {
        have[data->y[rows[i]]]++;
    }
    int total = bml_classify__smote_targets(want, have, m->n_class, c);
    if (total < 0) {
        return bml_classify__fail(why, BML_CLASSIFY_TOO_LARGE, "SMOTE: more than ten million rows");
    }
    int status = bml_classify__scale(&m->scaling, c->columns, c->n_columns, data, rows, n_rows, why);
    if (status) return status;
    bml_classify__sample s;
    memset(&s, 0, sizeof s);
    s.n = n_rows;
    s.d = m->scaling.d;
    s.n_class = m->n_class;
    bml_classify__room room = {NULL, 0};
    int *group;
    int *list;
    do {
        s.z = bml_classify__take_doubles(&room, total, s.d);
        s.y = bml_classify__take_ints(&room, total);
        s.w = bml_classify__take_doubles(&room, total, 1);
        group = bml_classify__take_ints(&room, s.d);
        list = bml_classify__take_ints(&room, n_rows);
    } while (bml_classify__again(&room));
    m->copy = (bml_classify__learner *)bml_classify__grown(NULL, 0, c->copies, sizeof *m->copy);
    if (room.base && m->copy) {
        bml_classify__standardise(s.z, &m->scaling, data, rows, n_rows);
        for (int i = 0; i < n_rows; i++) {
            s.y[i] = data->y[rows[i]];
        }
        for (int j = 0; j < s.d; j++) {
            group[j] = data->group ? data->group[m->scaling.column[j]] : BML_CLASSIFY_ENERGY;
        }
        s.group = group;
        if (total > n_rows) {
            bml_classify__smote(&s, want, have, list, c->seed);
        }
        status = bml_classify__fit_copies(m, c, &s, why);
    } else {
        status = bml_classify__no_memory(why);
    }
    BML_CLASSIFY_FREE(room.base);
    return status;
}

typedef struct bml_classify__training { /* rows to learn from, which have labels */
    const bml_classify_data *data;
    const int *rows; /* [n] */
    int n;
} bml_classify__training;

static int bml_classify__make(bml_classify_model **model, const bml_classify_config *config,
                              const bml_classify__training *on, char *why);

/* p[n][n_class]: each row's probabilities by a model fitted to the other folds. Rows of fold -1 take no part. */
static int bml_classify__out_of_fold(double *p, const bml_classify_config *config, const bml_classify__training *on,
                                     const int *fold, int n_folds, char *why) {
    bml_classify__room room = {NULL, 0};
    int K = on->data->n_class;
    int *train;
    int *test;
    int *place;
    double *q;
    do {
        train = bml_classify__take_ints(&room, on->n);
        test = bml_classify__take_ints(&room, on->n);
        place = bml_classify__take_ints(&room, on->n);
        q = bml_classify__take_doubles(&room, on->n, K);
    } while (bml_classify__again(&room));
    int status = room.base ? BML_CLASSIFY_OK : bml_classify__no_memory(why);
    for (int f = 0; f < n_folds && !status; f++) {
        bml_classify_model *m = NULL;
        bml_classify__training others = {on->data, train, 0};
        int n = 0;
        for (int i = 0; i < on->n; i++) {
            int row = bml_classify__pick(on->rows, i);
            if (fold[i] < 0) {
                continue;
            }
            if (fold[i] != f) {
                train[others.n++] = row;
                continue;
            }
            test[n] = row;
            place[n++] = i;
        }
        status = bml_classify__make(&m, config, &others, why);
        if (!status) {
            status = bml_classify_predict(q, NULL, m, on->data, test, n);
            if (status) {
                bml_classify__say(why, status);
            }
        }
        for (int i = 0; i < n && !status; i++) {
            bml_classify__copy(p + bml_classify__at(place[i], K), q + bml_classify__at(i, K), K);
        }
        bml_classify_model_free(m);
        if (!status && config->progress && config->progress((f + 1.0) / (n_folds + 1), config->progress_user)) {
            status = bml_classify__fail(why, BML_CLASSIFY_CANCELLED, "cancelled");
        }
    }
    BML_CLASSIFY_FREE(room.base);
    return status;
}

/* The weights' prior: as if each member had been right about that many rows more. Some hundred rows alone cannot tell
   good members apart, and would give all the weight to the luckiest. */
static const double bml_classify__prior = 20;

/* own[n]: what member m says of the own classes y[n] of the rows, of p[n][n_class]. */
static void bml_classify__own(double *own, const double *p, const int *y, int n, int n_class) {
    for (int i = 0; i < n; i++) {
        own[i] = p[bml_classify__at(i, n_class) + y[i]];
    }
}

/* weight[m] of a mixture of own[m][n], the members' probabilities of the rows' own classes, that maximises the log
   likelihood with the prior above: EM. next[m] is scratch. */
static void bml_classify__mix(double *weight, double *next, const double *own, int m, int n) {
    for (int k = 0; k < m; k++) {
        weight[k] = 1.0 / m;
    }
    for (int round = 0; round < 300; round++) {
        bml_classify__clear(next, m);
        for (int i = 0; i < n; i++) {
            double sum = 1e-300;
            for (int k = 0; k < m; k++) {
                sum += weight[k] * own[bml_classify__at(k, n) + i];
            }
            for (int k = 0; k < m; k++) {
                next[k] += weight[k] * own[bml_classify__at(k, n) + i] / sum;
            }
        }
        for (int k = 0; k < m; k++) {
            weight[k] = (next[k] + bml_classify__prior) / (n + m * bml_classify__prior);
        }
    }
}

/* Learns the calibration from out-of-fold p[n][n_class] with labels y[n]. */
static int bml_classify__learn_calibration(bml_classify_model *m, const double *p, const int *y, int n, char *why) {
    if (m->calibrate == BML_CLASSIFY_TEMPERATURE) {
        m->temperature = bml_classify_temperature(p, y, n, m->n_class);
    }
    if (m->calibrate != BML_CLASSIFY_ISOTONIC) {
        return BML_CLASSIFY_OK;
    }
    bml_classify__room room = {NULL, 0};
    bml_classify__room scratch = {NULL, 0};
    double *score;
    int *is;
    do
        for (int k = 0; k < m->n_class; k++) {
            m->knot_x[k] = bml_classify__take_doubles(&room, n, 1);
            m->knot[k] = bml_classify__take_doubles(&room, n, 1);
        }
    while (bml_classify__again(&room));
    m->knots = room.base;
    do {
        score = bml_classify__take_doubles(&scratch, n, 1);
        is = bml_classify__take_ints(&scratch, n);
    } while (bml_classify__again(&scratch));
    int status = room.base && scratch.base ? BML_CLASSIFY_OK : BML_CLASSIFY_NO_MEMORY;
    for (int k = 0; k < m->n_class && !status; k++) {
        for (int i = 0; i < n; i++) {
            score[i] = p[bml_classify__at(i, m->n_class) + k];
            is[i] = y[i] == k;
        }
        status = bml_classify_isotonic(m->knot_x[k], m->knot[k], &m->n_knots[k], score, is, n);
    }
    BML_CLASSIFY_FREE(scratch.base);
    return status ? bml_classify__say(why, status) : BML_CLASSIFY_OK;
}

typedef struct bml_classify__inner { /* inner folds of the training rows */
    double *p;     /* [n_parts][n][n_class] out-of-fold probabilities of each member, or of the one model */
    double *mixed; /* [n][n_class] of the whole */
    double *own;   /* [n_parts][n] */
    double *next;  /* [n_parts] */
    int *fold, *y; /* [n] */
    int n_parts;
} bml_classify__inner;

/* The mixture of the parts, by the weights that suit them best where there are several. */
static void bml_classify__mix_inner(bml_classify_model *m, bml_classify__inner *in, int n) {
    ptrdiff_t one = bml_classify__at(n, m->n_class);
    for (int a = 0; a < in->n_parts; a++) {
        bml_classify__own(in->own + bml_classify__at(a, n), in->p + a * one, in->y, n, m->n_class);
    }
    if (m->weight) {
        bml_classify__mix(m->weight, in->next, in->own, in->n_parts, n);
    }
    for (ptrdiff_t i = 0; i < one; i++) {
        for (int a = 0; a < in->n_parts; a++) {
            in->mixed[i] += (m->weight ? m->weight[a] : 1) * in->p[a * one + i];
        }
    }
}

/* Weights of a stack and calibration, from inner folds. */
static int bml_classify__fit_outer(bml_classify_model *m, const bml_classify_config *c,
                                   const bml_classify__training *on, char *why) {
    int stack = c->model == BML_CLASSIFY_STACK;
    ptrdiff_t one = bml_classify__at(on->n, m->n_class);
    bml_classify__room room = {NULL, 0};
    bml_classify__inner in;
    in.n_parts = stack ? c->n_members : 1;
    do {
        in.p = bml_classify__take_doubles(&room, one, in.n_parts);
        in.mixed = bml_classify__take_doubles(&room, one, 1);
        in.own = bml_classify__take_doubles(&room, in.n_parts, on->n);
        in.next = bml_classify__take_doubles(&room, in.n_parts, 1);
        in.fold = bml_classify__take_ints(&room, on->n);
        in.y = bml_classify__take_ints(&room, on->n);
    } while (bml_classify__again(&room));
    if (!room.base) {
        return bml_classify__no_memory(why);
    }
    int status = bml_classify_folds(in.fold, on->data, on->rows, on->n, c->folds, c->seed, why);
    for (int a = 0; a < in.n_parts && !status; a++) {
        bml_classify_config part = stack ? c->member[a] : *c;
        if (stack) {
            part.progress = c->progress;
            part.progress_user = c->progress_user;
            part.seed += c->seed;
        } else {
            part.calibrate = BML_CLASSIFY_NO_CALIBRATION;
        }
        status = bml_classify__out_of_fold(in.p + a * one, &part, on, in.fold, c->folds, why);
    }
    if (!status) {
        for (int i = 0; i < on->n; i++) {
            in.y[i] = on->data->y[on->rows[i]];
        }
        bml_classify__mix_inner(m, &in, on->n);
        status = bml_classify__learn_calibration(m, in.mixed, in.y, on->n, why);
    }
    BML_CLASSIFY_FREE(room.base);
    return status;
}

static int bml_classify__fit_stack(bml_classify_model *m, const bml_classify_config *c,
                                   const bml_classify__training *on, char *why) {
    int status = BML_CLASSIFY_OK;
    m->member = (bml_classify_model **)bml_classify__grown(NULL, 0, c->n_members, sizeof *m->member);
    m->weight = (double *)bml_classify__grown(NULL, 0, c->n_members, sizeof *m->weight);
    if (!m->member || !m->weight) {
        return bml_classify__no_memory(why);
    }
    m->n_members = c->n_members;
    for (int i = 0; i < c->n_members && !status; i++) {
        bml_classify_config member = c->member[i];
        member.seed += c->seed;
        status = bml_classify__make(&m->member[i], &member, on, why);
    }
    return status;
}

/* As bml_classify_fit, on rows that are known to be good. */
static int bml_classify__make(bml_classify_model **model, const bml_classify_config *config,
                              const bml_classify__training *on, char *why) {
    *model = NULL;
    bml_classify_config c;
    int status = bml_classify__resolve(&c, config, config->columns ? config->n_columns : on->data->d, why);
    if (status) return status;
    bml_classify_model *m = (bml_classify_model *)bml_classify__grown(NULL, 0, 1, sizeof *m);
    if (!m) {
        return bml_classify__no_memory(why);
    }
    m->kind = c.model;
    m->n_class = on->data->n_class;
    m->d_data = on->data->d;
    m->temperature = 1;
    m->calibrate = c.calibrate;
    if (c.model == BML_CLASSIFY_STACK) {
        status = bml_classify__fit_stack(m, &c, on, why);
    } else {
        status = bml_classify__fit_single(m, &c, on->data, on->rows, on->n, why);
    }
    if (!status && (m->calibrate || m->kind == BML_CLASSIFY_STACK)) {
        status = bml_classify__fit_outer(m, &c, on, why);
    }
    if (status) {
        bml_classify_model_free(m);
    } else {
        *model = m;
    }
    return status;
}

/* list[] and y[] of the rows that are asked for; their number, or a status. */
static int bml_classify__labelled(int *list, int *y, const bml_classify_data *data, const int *rows, int n_rows,
                                  char *why) {
    int n = 0;
    for (int i = 0; i < n_rows; i++) {
        int r = bml_classify__pick(rows, i);
        if (r < 0 || r >= data->n) {
            return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "there is no row %d", r);
        }
        if (data->y[r] < 0 && rows) {
            return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "row %d has no label", r);
        }
        if (data->y[r] < 0) {
            continue;
        }
        list[n] = r;
        y[n++] = data->y[r];
    }
    return n;
}

BML_CLASSIFY_DEF int bml_classify_fit(bml_classify_model **model, const bml_classify_config *config,
                                      const bml_classify_data *data, const int *rows, int n_rows, char *why) {
    if (model) {
        *model = NULL;
    }
    bml_classify__no_message(why);
    if (!model || !config || (rows && n_rows < 1)) {
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "model, config or rows are missing");
    }
    int status = bml_classify__check_data(data, why);
    if (status) return status;
    bml_classify__room room = {NULL, 0};
    int most = rows ? n_rows : data->n;
    int *list;
    int *y;
    do {
        list = bml_classify__take_ints(&room, most);
        y = bml_classify__take_ints(&room, most);
    } while (bml_classify__again(&room));
    if (!room.base) {
        return bml_classify__no_memory(why);
    }
    int n = bml_classify__labelled(list, y, data, rows, most, why);
    status = n < 0 ? n : bml_classify__check_classes(y, n, data->n_class, "training rows", why);
    bml_classify__training on = {data, list, n};
    if (!status) {
        status = bml_classify__make(model, config, &on, why);
    }
    BML_CLASSIFY_FREE(room.base);
    return status;
}

/* >> predicting

   Copies or members are asked in turn; what they say is averaged, and then calibrated. */

/* p[k] -> p[k]^(1/T)/sum; sd (or NULL) follows for two classes by the derivative. */
static void bml_classify__cool(double *p, double *sd, int n_class, double temperature) {
    double q[BML_CLASSIFY__MAX_CLASSES];
    int two = n_class == 2;
    for (int k = 0; k < n_class; k++) {
        q[k] = log(p[k] > 1e-300 ? p[k] : 1e-300) / temperature;
    }
    if (two) {
        q[0] = q[1] - q[0];
    }
    double slope = two && p[0] * p[1] > 0 ? 1 / (temperature * p[0] * p[1]) : 0;
    bml_classify__softmax(p, q, n_class);
    for (int k = 0; k < 2 && sd && slope > 0; k++) {
        sd[k] *= slope * p[0] * p[1];
    }
}

static void bml_classify__calibrate(double *p, double *sd, const bml_classify_model *m) {
    double sum = 0;
    if (m->calibrate == BML_CLASSIFY_TEMPERATURE) {
        bml_classify__cool(p, sd, m->n_class, m->temperature);
    }
    if (m->calibrate != BML_CLASSIFY_ISOTONIC) {
        return;
    }
    for (int k = 0; k < m->n_class; k++) {
        p[k] = bml_classify_isotonic_at(m->knot_x[k], m->knot[k], m->n_knots[k], p[k]);
        sum += p[k];
    }
    for (int k = 0; k < m->n_class; k++) {
        p[k] = sum > 0 ? p[k] / sum : 1.0 / m->n_class;
    }
}

/* Adds weight times q[count], and of its square and variance s[count] (or NULL), to total and square (or NULL). */
static void bml_classify__accumulate(double *total, double *square, const double *q, const double *s, ptrdiff_t count,
                                     double weight) {
    for (ptrdiff_t i = 0; i < count; i++) {
        double var = s ? s[i] * s[i] : 0;
        total[i] += weight * q[i];
        if (square) {
            square[i] += weight * (q[i] * q[i] + var);
        }
    }
}

/* sd[count] from the sums of squares that it holds, and the means p[count]. */
static void bml_classify__spread(double *sd, const double *p, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < count; i++) {
        double var = sd[i] - p[i] * p[i];
        if (var <= 0) {
            var = 0;
        }
        sd[i] = sqrt(var);
    }
}

/* p and sd of the copies or members: their weighted mean, and the scatter between them with that within. */
static int bml_classify__predict_all(double *p, double *sd, const bml_classify_model *m, const bml_classify_data *data,
                                     const int *rows, int n) {
    int stack = m->n_members > 0;
    int parts = stack ? m->n_members : m->n_copies;
    int doubted = sd ? m->n_class : 0;
    ptrdiff_t count = bml_classify__at(n, m->n_class);
    int status = BML_CLASSIFY_OK;
    bml_classify__room room = {NULL, 0};
    double *q;
    double *s;
    double *z;
    do {
        q = bml_classify__take_doubles(&room, n, m->n_class);
        s = bml_classify__take_doubles(&room, n, doubted);
        z = bml_classify__take_doubles(&room, n, stack ? 0 : m->scaling.d);
    } while (bml_classify__again(&room));
    if (!room.base) {
        return BML_CLASSIFY_NO_MEMORY;
    }
    if (!sd) {
        s = NULL;
    }
    if (!stack) {
        bml_classify__standardise(z, &m->scaling, data, rows, n);
    }
    bml_classify__clear(p, count);
    if (sd) {
        bml_classify__clear(sd, count);
    }
    for (int a = 0; a < parts && !status; a++) {
        if (stack) {
            status = bml_classify_predict(q, s, m->member[a], data, rows, n);
        } else {
            status = bml_classify__ask(q, s, &m->copy[a], z, n);
        }
        for (ptrdiff_t i = 0; i < count && s && parts > 1; i++) {
            if (isnan(s[i])) {
                s[i] = 0; /* unknown within, known between */
            }
        }
        if (!status) {
            bml_classify__accumulate(p, sd, q, s, count, stack ? m->weight[a] : 1.0 / parts);
        }
    }
    if (sd) {
        bml_classify__spread(sd, p, count);
    }
    for (ptrdiff_t i = 0; i < count; i++) {
        if (p[i] > 1) {
            p[i] = 1; /* a mean of ones may round upwards */
        }
    }
    BML_CLASSIFY_FREE(room.base);
    return status;
}

/* The rows asked for are there. */
static int bml_classify__has_rows(const bml_classify_data *data, const int *rows, int n_rows) {
    if (n_rows < 0 || (!rows && n_rows > data->n)) {
        return 0;
    }
    for (int i = 0; i < n_rows && rows; i++) {
        if (rows[i] < 0 || rows[i] >= data->n) {
            return 0;
        }
    }
    return 1;
}

BML_CLASSIFY_DEF int bml_classify_predict(double *p, double *sd, const bml_classify_model *model,
                                          const bml_classify_data *data, const int *rows, int n_rows) {
    if (!p || !model || !data || !bml_classify__has_rows(data, rows, n_rows)) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    if (data->d != model->d_data || data->n_class != model->n_class) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    int status = bml_classify__predict_all(p, sd, model, data, rows, n_rows);
    for (int i = 0; i < n_rows && !status; i++) {
        ptrdiff_t at = bml_classify__at(i, model->n_class);
        bml_classify__calibrate(p + at, sd ? sd + at : NULL, model);
    }
    return status;
}

BML_CLASSIFY_DEF void bml_classify_model_free(bml_classify_model *m) {
    if (!m) {
        return;
    }
    for (int i = 0; i < m->n_copies; i++) {
        bml_classify__learner_free(&m->copy[i]);
    }
    for (int i = 0; i < m->n_members; i++) {
        bml_classify_model_free(m->member[i]);
    }
    BML_CLASSIFY_FREE(m->scaling.block);
    BML_CLASSIFY_FREE(m->copy);
    BML_CLASSIFY_FREE(m->member);
    BML_CLASSIFY_FREE(m->weight);
    BML_CLASSIFY_FREE(m->knots);
    BML_CLASSIFY_FREE(m);
}

BML_CLASSIFY_DEF const double *bml_classify_model_weights(const bml_classify_model *model) {
    return model->weight;
}

BML_CLASSIFY_DEF double bml_classify_model_temperature(const bml_classify_model *model) {
    return model->temperature;
}

BML_CLASSIFY_DEF int bml_classify_verdict(const double *p, int n_class, double confidence) {
    int best = 0;
    for (int k = 1; k < n_class; k++) {
        if (p[k] > p[best]) {
            best = k;
        }
    }
    return p[best] >= confidence ? best : -1;
}

/* >> metrics

   All of them go once through the rows in falling order of the score, in groups of equal scores: ties are exact. The
   sorted rows stand in room that the caller gives, so that only the public functions ask for memory. */

typedef struct bml_classify__ranks { /* rows with a label, highest score first: key = -score */
    bml_classify__keyed *row;        /* [n] */
    int n;
    const int *y;
    const double *w; /* or NULL */
} bml_classify__ranks;

/* Fills r->row, which has room for n. BAD_ARGUMENT for a NaN score, a label above 1, a weight that is none. */
static int bml_classify__rank(bml_classify__ranks *r, const double *score, const int *y, const double *w, int n) {
    r->n = 0;
    r->y = y;
    r->w = w;
    for (int i = 0; i < n; i++) {
        if (y[i] < 0) {
            continue;
        }
        int weighs = !w || (w[i] >= 0 && w[i] < DBL_MAX);
        if (isnan(score[i]) || y[i] > 1 || !weighs) {
            return BML_CLASSIFY_BAD_ARGUMENT;
        }
        r->row[r->n].key = -score[i];
        r->row[r->n++].index = i;
    }
    qsort(r->row, (size_t)r->n, sizeof *r->row, bml_classify__by_key);
    return BML_CLASSIFY_OK;
}

/* The same in a block of its own, r->row, to be freed also on failure. */
static int bml_classify__new_ranks(bml_classify__ranks *r, const double *score, const int *y, const double *w, int n) {
    r->row = NULL;
    if (!score || !y || n < 1) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    r->row = (bml_classify__keyed *)bml_classify__grown(NULL, 0, n, sizeof *r->row);
    return r->row ? bml_classify__rank(r, score, y, w, n) : BML_CLASSIFY_NO_MEMORY;
}

/* Adds the group of equal scores that begins at i to the weights above the threshold; returns where the next begins. */
static int bml_classify__group(double *positive, double *negative, const bml_classify__ranks *r, int i) {
    double key = r->row[i].key;
    for (; i < r->n && !(r->row[i].key > key); i++) {
        int row = r->row[i].index;
        double *to = r->y[row] ? positive : negative;
        *to += r->w ? r->w[row] : 1;
    }
    return i;
}

static double bml_classify__auc(const bml_classify__ranks *r) {
    double tp = 0;
    double fp = 0;
    double area = 0;
    int i = 0;
    while (i < r->n) {
        double tp0 = tp;
        double fp0 = fp;
        i = bml_classify__group(&tp, &fp, r, i);
        area += (fp - fp0) * 0.5 * (tp + tp0);
    }
    return tp > 0 && fp > 0 ? area / (tp * fp) : BML_CLASSIFY__NAN;
}

static double bml_classify__pr_auc(const bml_classify__ranks *r) {
    double tp = 0;
    double fp = 0;
    double area = 0;
    int i = 0;
    while (i < r->n) {
        double tp0 = tp;
        i = bml_classify__group(&tp, &fp, r, i);
        if (tp > tp0) {
            area += (tp - tp0) * tp / (tp + fp);
        }
    }
    return tp > 0 && fp > 0 ? area / tp : BML_CLASSIFY__NAN;
}

typedef struct bml_classify__points { /* a curve: arrays of n + 1 */
    double *threshold, *false_positive, *true_positive, *precision;
} bml_classify__points;

/* The number of points, or ONE_CLASS. */
static int bml_classify__trace(const bml_classify__points *c, const bml_classify__ranks *r) {
    double tp = 0;
    double fp = 0;
    int i = 0;
    int k = 0;
    c->threshold[0] = BML_CLASSIFY__INF;
    c->false_positive[0] = 0;
    c->true_positive[0] = 0;
    c->precision[0] = 1;
    while (i < r->n) {
        double score = -r->row[i].key;
        i = bml_classify__group(&tp, &fp, r, i);
        c->threshold[++k] = score;
        c->false_positive[k] = fp;
        c->true_positive[k] = tp;
        c->precision[k] = tp + fp > 0 ? tp / (tp + fp) : 1;
    }
    if (!(tp > 0 && fp > 0)) {
        return BML_CLASSIFY_ONE_CLASS;
    }
    for (int a = 0; a <= k; a++) {
        c->false_positive[a] /= fp;
        c->true_positive[a] /= tp;
    }
    return k + 1;
}

static void bml_classify__take_points(bml_classify__points *c, bml_classify__room *room, int n) {
    c->threshold = bml_classify__take_doubles(room, (ptrdiff_t)n + 1, 1);
    c->false_positive = bml_classify__take_doubles(room, (ptrdiff_t)n + 1, 1);
    c->true_positive = bml_classify__take_doubles(room, (ptrdiff_t)n + 1, 1);
    c->precision = bml_classify__take_doubles(room, (ptrdiff_t)n + 1, 1);
}

/* A curve in a block of its own, *block, to be freed also on failure; its number of points, or a status. */
static int bml_classify__new_curve(bml_classify__points *c, void **block, const double *score, const int *y,
                                   const double *w, int n) {
    bml_classify__room room = {NULL, 0};
    bml_classify__ranks r;
    *block = NULL;
    if (!score || !y || n < 1) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    do {
        bml_classify__take_points(c, &room, n);
        r.row = (bml_classify__keyed *)bml_classify__take(&room, n, 1, sizeof *r.row);
    } while (bml_classify__again(&room));
    *block = room.base;
    if (!room.base) {
        return BML_CLASSIFY_NO_MEMORY;
    }
    int status = bml_classify__rank(&r, score, y, w, n);
    return status ? status : bml_classify__trace(c, &r);
}

/* The score halfway between those on the two sides of point k. */
static double bml_classify__between(const bml_classify__points *c, int k, int points) {
    if (k == 0 || k + 1 == points) {
        return c->threshold[k];
    }
    return 0.5 * (c->threshold[k] + c->threshold[k + 1]);
}

static double bml_classify__nearest_point(const bml_classify__points *c, int points) {
    double nearest = 9;
    int best = 0;
    for (int k = 0; k < points; k++) {
        double fp = c->false_positive[k];
        double miss = 1 - c->true_positive[k];
        double r = fp * fp + miss * miss;
        if (!(r < nearest)) {
            continue;
        }
        nearest = r;
        best = k;
    }
    return bml_classify__between(c, best, points);
}

/* component[n]: for each row of class 1 the share of class 0 that scores below it, ties one half; for each of class 0
   the share of class 1 above it. Their means are the AUC (DeLong et al. 1988, eq. 5-6). */
static int bml_classify__components(double *component, const bml_classify__ranks *r) {
    double total[2] = {0, 0};
    double seen[2] = {0, 0};
    int i = 0;
    for (int k = 0; k < r->n; k++) {
        total[r->y[r->row[k].index]] += 1;
    }
    while (i < r->n) { /* from the highest */
        double here[2] = {0, 0};
        int end = bml_classify__group(&here[1], &here[0], r, i);
        for (int k = i; k < end; k++) {
            int row = r->row[k].index;
            int of = r->y[row];
            double above = seen[1 - of] + 0.5 * here[1 - of];
            component[row] = of ? 1 - above / total[0] : above / total[1];
        }
        seen[0] += here[0];
        seen[1] += here[1];
        i = end;
    }
    if (total[0] < 1 || total[1] < 1) {
        return BML_CLASSIFY_ONE_CLASS;
    }
    return total[0] < 2 || total[1] < 2 ? BML_CLASSIFY_TOO_FEW : BML_CLASSIFY_OK;
}

/* Covariance of the means of components u[n] and v[n], class after class; *mean is that of u over the last class. */
static double bml_classify__covariance(double *mean, const double *u, const double *v, const int *y, int n) {
    double sum = 0;
    for (int of = 0; of < 2; of++) {
        double mean_u = 0;
        double mean_v = 0;
        double product = 0;
        double count = 0;
        for (int i = 0; i < n; i++) {
            if (y[i] != of) {
                continue;
            }
            mean_u += u[i];
            mean_v += v[i];
            count += 1;
        }
        mean_u /= count;
        mean_v /= count;
        for (int i = 0; i < n; i++) {
            if (y[i] == of) {
                product += (u[i] - mean_u) * (v[i] - mean_v);
            }
        }
        sum += product / (count - 1) / count;
        *mean = mean_u;
    }
    return sum;
}

BML_CLASSIFY_DEF double bml_classify_auc(const double *score, const int *y, const double *w, int n) {
    bml_classify__ranks r;
    int status = bml_classify__new_ranks(&r, score, y, w, n);
    double auc = status ? BML_CLASSIFY__NAN : bml_classify__auc(&r);
    BML_CLASSIFY_FREE(r.row);
    return auc;
}

BML_CLASSIFY_DEF int bml_classify_delong(double *auc, double *covariance, const double *scores, int n_scores,
                                         const int *y, int n) {
    if (!auc || !covariance || !scores || !y || n_scores < 1 || n < 1) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    bml_classify__room room = {NULL, 0};
    bml_classify__ranks r;
    double *component;
    do {
        component = bml_classify__take_doubles(&room, n_scores, n);
        r.row = (bml_classify__keyed *)bml_classify__take(&room, n, 1, sizeof *r.row);
    } while (bml_classify__again(&room));
    int status = room.base ? BML_CLASSIFY_OK : BML_CLASSIFY_NO_MEMORY;
    for (int a = 0; a < n_scores && !status; a++) {
        status = bml_classify__rank(&r, scores + bml_classify__at(a, n), y, NULL, n);
        if (!status) {
            status = bml_classify__components(component + bml_classify__at(a, n), &r);
        }
    }
    for (int a = 0; a < n_scores && !status; a++) {
        for (int b = 0; b <= a; b++) {
            const double *u = component + bml_classify__at(a, n);
            const double *v = component + bml_classify__at(b, n);
            double both = bml_classify__covariance(&auc[a], u, v, y, n);
            covariance[bml_classify__at(a, n_scores) + b] = both;
            covariance[bml_classify__at(b, n_scores) + a] = both;
        }
    }
    BML_CLASSIFY_FREE(room.base);
    return status;
}

BML_CLASSIFY_DEF double bml_classify_pr_auc(const double *score, const int *y, const double *w, int n) {
    bml_classify__ranks r;
    int status = bml_classify__new_ranks(&r, score, y, w, n);
    double area = status ? BML_CLASSIFY__NAN : bml_classify__pr_auc(&r);
    BML_CLASSIFY_FREE(r.row);
    return area;
}

BML_CLASSIFY_DEF int bml_classify_curve(double *threshold, double *false_positive, double *true_positive,
                                        double *precision, const double *score, const int *y, const double *w, int n) {
    bml_classify__points c = {threshold, false_positive, true_positive, precision};
    bml_classify__ranks r;
    int status = bml_classify__new_ranks(&r, score, y, w, n);
    if (!status) {
        status = bml_classify__trace(&c, &r);
    }
    BML_CLASSIFY_FREE(r.row);
    return status;
}

BML_CLASSIFY_DEF double bml_classify_nearest_threshold(const double *score, const int *y, const double *w, int n) {
    bml_classify__points c;
    void *block;
    int points = bml_classify__new_curve(&c, &block, score, y, w, n);
    double threshold = points > 0 ? bml_classify__nearest_point(&c, points) : BML_CLASSIFY__NAN;
    BML_CLASSIFY_FREE(block);
    return threshold;
}

BML_CLASSIFY_DEF int bml_classify_threshold(bml_classify_cut *cut, double purity, double completeness,
                                            const double *score, const int *y, const double *w, int n) {
    int by_purity = purity > 0 && purity <= 1 && completeness == 0;
    int by_completeness = completeness > 0 && completeness <= 1 && purity == 0;
    if (!cut || by_purity == by_completeness) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    bml_classify__points c;
    void *block;
    double highest = -1;
    double positive = 0;
    int best = 0;
    int points = bml_classify__new_curve(&c, &block, score, y, w, n);
    for (int i = 0; points > 0 && i < n; i++) {
        if (y[i] == 1) {
            positive += w ? w[i] : 1;
        }
    }
    for (int k = 1; k < points; k++) {
        double reached = by_purity ? c.precision[k] : c.true_positive[k];
        double other = by_purity ? c.true_positive[k] : c.precision[k];
        double wanted = (by_purity ? purity : completeness) * (1 - 1e-12); /* rounding */
        if (reached < wanted || other <= highest) {
            continue;
        }
        highest = other;
        best = k;
    }
    int status = points < 0 ? points : BML_CLASSIFY_OK;
    if (!status && !best) {
        status = BML_CLASSIFY_NOT_REACHED;
    }
    if (!status) {
        cut->threshold = bml_classify__between(&c, best, points);
        cut->purity = c.precision[best];
        cut->completeness = c.true_positive[best];
        cut->called = cut->purity > 0 ? cut->completeness * positive / cut->purity : 0;
    }
    BML_CLASSIFY_FREE(block);
    return status;
}

BML_CLASSIFY_DEF int bml_classify_cost_curve(double *cost, int n_points, const double *score, const int *y,
                                             const double *w, int n) {
    if (!cost || n_points < 2) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    bml_classify__points c;
    void *block;
    int points = bml_classify__new_curve(&c, &block, score, y, w, n);
    for (int i = 0; i < n_points && points > 0; i++) {
        double pc = (double)i / (n_points - 1);
        cost[i] = 1;
        for (int k = 0; k < points; k++) {
            double here = (1 - c.true_positive[k]) * pc + c.false_positive[k] * (1 - pc);
            cost[i] = here < cost[i] ? here : cost[i];
        }
    }
    BML_CLASSIFY_FREE(block);
    return points < 0 ? points : BML_CLASSIFY_OK;
}

static int bml_classify__winner(const double *p, int n_class, double threshold) {
    int best = 0;
    if (n_class == 2) {
        return p[1] >= threshold;
    }
    for (int k = 1; k < n_class; k++) {
        if (p[k] > p[best]) {
            best = k;
        }
    }
    return best;
}

BML_CLASSIFY_DEF void bml_classify_confusion(double *matrix, const double *p, const int *y, const double *w, int n,
                                             int n_class, double threshold) {
    if (isnan(threshold)) {
        threshold = 0.5;
    }
    bml_classify__clear(matrix, bml_classify__at(n_class, n_class));
    for (int i = 0; i < n; i++) {
        if (y[i] < 0) {
            continue;
        }
        int called = bml_classify__winner(p + bml_classify__at(i, n_class), n_class, threshold);
        matrix[bml_classify__at(y[i], n_class) + called] += w ? w[i] : 1;
    }
}

BML_CLASSIFY_DEF void bml_classify_calibration_curve(double *mean, double *fraction, double *weight, int n_bins,
                                                     const double *score, const int *y, const double *w, int n) {
    bml_classify__clear(mean, n_bins);
    bml_classify__clear(fraction, n_bins);
    bml_classify__clear(weight, n_bins);
    for (int i = 0; i < n; i++) {
        double one = w ? w[i] : 1;
        if (y[i] < 0 || !(score[i] >= 0 && score[i] <= 1)) {
            continue;
        }
        int b = (int)(score[i] * n_bins);
        if (b == n_bins) {
            b = n_bins - 1;
        }
        weight[b] += one;
        mean[b] += one * score[i];
        fraction[b] += one * (y[i] == 1);
    }
    for (int b = 0; b < n_bins; b++) {
        mean[b] = weight[b] > 0 ? mean[b] / weight[b] : BML_CLASSIFY__NAN;
        fraction[b] = weight[b] > 0 ? fraction[b] / weight[b] : BML_CLASSIFY__NAN;
    }
}

BML_CLASSIFY_DEF double bml_classify_kappa(const int *a, const int *b, int n, int n_class) {
    double agree = 0;
    double chance = 0;
    double total = 0;
    for (int i = 0; i < n; i++) {
        if (a[i] < 0 || b[i] < 0) {
            continue;
        }
        total += 1;
        agree += a[i] == b[i];
    }
    for (int k = 0; k < n_class && total > 0; k++) {
        double in_a = 0;
        double in_b = 0;
        for (int i = 0; i < n; i++) {
            if (a[i] < 0 || b[i] < 0) {
                continue;
            }
            in_a += a[i] == k;
            in_b += b[i] == k;
        }
        chance += in_a / total * (in_b / total);
    }
    if (!(total > 0) || !(chance < 1)) {
        return BML_CLASSIFY__NAN;
    }
    return (agree / total - chance) / (1 - chance);
}

BML_CLASSIFY_DEF void bml_classify_mean_sd(double *mean, double *sd, const double *values, int n) {
    double sum = 0;
    double square = 0;
    for (int i = 0; i < n; i++) {
        sum += values[i];
    }
    *mean = n > 0 ? sum / n : BML_CLASSIFY__NAN;
    for (int i = 0; i < n; i++) {
        square += (values[i] - *mean) * (values[i] - *mean);
    }
    *sd = n > 1 ? sqrt(square / (n - 1)) : BML_CLASSIFY__NAN;
}

/* Accuracy, balanced accuracy and F1 from the confusion matrix. */
static void bml_classify__score_matrix(bml_classify_scores *s, const double *matrix, int n_class) {
    double right = 0;
    double total = 0;
    double recall = 0;
    double f1 = 0;
    int present = 0;
    for (int k = 0; k < n_class; k++) {
        double row = 0;
        double column = 0;
        double own = matrix[k * n_class + k];
        for (int l = 0; l < n_class; l++) {
            row += matrix[k * n_class + l];
            column += matrix[l * n_class + k];
        }
        right += own;
        total += row;
        double both = row + column > 0 ? 2 * own / (row + column) : 0;
        if (n_class == 2 && k == 1) {
            f1 = both;
        }
        if (!(row > 0)) {
            continue;
        }
        recall += own / row;
        if (n_class > 2) {
            f1 += both;
        }
        present++;
    }
    s->n = total;
    s->accuracy = right / total;
    s->balanced_accuracy = recall / present;
    s->f1 = n_class > 2 ? f1 / present : f1;
}

typedef struct bml_classify__answers { /* what is to be scored */
    const double *p;                   /* [n][n_class] */
    const int *y;
    const double *w; /* or NULL */
    int n, n_class;
} bml_classify__answers;

/* Brier score and log loss. */
static void bml_classify__score_loss(bml_classify_scores *s, const bml_classify__answers *a) {
    double brier = 0;
    double loss = 0;
    for (int i = 0; i < a->n; i++) {
        const double *p = a->p + bml_classify__at(i, a->n_class);
        int y = a->y[i];
        double square = 0;
        if (y < 0) {
            continue;
        }
        double one = a->w ? a->w[i] : 1;
        for (int k = 0; k < a->n_class; k++) {
            square += (p[k] - (y == k)) * (p[k] - (y == k));
        }
        brier += one * square / (a->n_class == 2 ? 2 : 1);
        loss -= one * log(p[y] > 1e-15 ? p[y] : 1e-15);
    }
    s->brier = brier / s->n;
    s->log_loss = loss / s->n;
}

typedef struct bml_classify__scratch { /* for a class against the rest */
    double *score, *component;         /* [n] */
    int *is;                           /* [n] 0, 1, -1 without a label */
    bml_classify__ranks ranks;
    bml_classify__points curve;
} bml_classify__scratch;

/* Ranks the rows by the probability of class k. */
static int bml_classify__rank_class(bml_classify__scratch *t, const bml_classify__answers *a, int k) {
    for (int i = 0; i < a->n; i++) {
        t->score[i] = a->p[bml_classify__at(i, a->n_class) + k];
        t->is[i] = a->y[i] < 0 ? -1 : a->y[i] == k;
    }
    return bml_classify__rank(&t->ranks, t->score, t->is, a->w, a->n);
}

/* Threshold and DeLong's error, for two classes. */
static void bml_classify__score_two(bml_classify_scores *s, bml_classify__scratch *t, const bml_classify__answers *a) {
    double mean;
    int points = bml_classify__trace(&t->curve, &t->ranks);
    if (points > 0) {
        s->threshold = bml_classify__nearest_point(&t->curve, points);
    }
    if (a->w || bml_classify__components(t->component, &t->ranks)) {
        return;
    }
    s->auc_error = sqrt(bml_classify__covariance(&mean, t->component, t->component, t->is, a->n));
}

/* Calibration error: of class 1 of two; of more, of the highest probability and whether it was right. */
static double bml_classify__score_bins(bml_classify__scratch *t, const bml_classify__answers *a) {
    double mean[10];
    double fraction[10];
    double weight[10];
    double error = 0;
    for (int i = 0; i < a->n && a->n_class > 2; i++) {
        const double *p = a->p + bml_classify__at(i, a->n_class);
        int best = bml_classify__winner(p, a->n_class, 0);
        t->score[i] = p[best];
        t->is[i] = a->y[i] < 0 ? -1 : a->y[i] == best;
    }
    bml_classify_calibration_curve(mean, fraction, weight, 10, t->score, t->is, a->w, a->n);
    for (int b = 0; b < 10; b++) {
        if (weight[b] > 0) {
            error += weight[b] * fabs(mean[b] - fraction[b]);
        }
    }
    return error;
}

/* Areas, threshold and calibration error, each class against the rest. */
static int bml_classify__score_ranks(bml_classify_scores *s, bml_classify__scratch *t, const bml_classify__answers *a) {
    int present = 0;
    s->auc_error = BML_CLASSIFY__NAN;
    s->threshold = BML_CLASSIFY__NAN;
    for (int k = a->n_class == 2 ? 1 : 0; k < a->n_class; k++) {
        int status = bml_classify__rank_class(t, a, k);
        if (status) return status;
        double auc = bml_classify__auc(&t->ranks);
        if (isnan(auc) && a->n_class > 2) {
            continue; /* a class that is absent */
        }
        s->auc += auc;
        s->pr_auc += bml_classify__pr_auc(&t->ranks);
        present++;
    }
    s->auc = present ? s->auc / present : BML_CLASSIFY__NAN;
    s->pr_auc = present ? s->pr_auc / present : BML_CLASSIFY__NAN;
    if (a->n_class == 2) {
        bml_classify__score_two(s, t, a);
    }
    s->calibration_error = bml_classify__score_bins(t, a) / s->n;
    return BML_CLASSIFY_OK;
}

/* Labels, weights and probabilities are such; there is a label. */
static int bml_classify__check_answers(const bml_classify__answers *a) {
    int labelled = 0;
    for (int i = 0; i < a->n; i++) {
        const double *p = a->p + bml_classify__at(i, a->n_class);
        if (a->y[i] < 0) {
            continue;
        }
        labelled++;
        if (a->y[i] >= a->n_class) {
            return BML_CLASSIFY_BAD_ARGUMENT;
        }
        if (a->w && !(a->w[i] >= 0 && a->w[i] < DBL_MAX)) {
            return BML_CLASSIFY_BAD_ARGUMENT;
        }
        for (int k = 0; k < a->n_class; k++) {
            if (!(p[k] >= 0 && p[k] <= 1)) {
                return BML_CLASSIFY_BAD_ARGUMENT;
            }
        }
    }
    return labelled ? BML_CLASSIFY_OK : BML_CLASSIFY_TOO_FEW;
}

BML_CLASSIFY_DEF int bml_classify_score(bml_classify_scores *s, const double *p, const int *y, const double *w, int n,
                                        int n_class) {
    double matrix[BML_CLASSIFY__MAX_CLASSES * BML_CLASSIFY__MAX_CLASSES];
    bml_classify__answers a = {p, y, w, n, n_class};
    if (!s || !p || !y || n < 1 || n_class < 2 || n_class > BML_CLASSIFY__MAX_CLASSES) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    memset(s, 0, sizeof *s);
    int status = bml_classify__check_answers(&a);
    if (status) return status;
    bml_classify_confusion(matrix, p, y, w, n, n_class, BML_CLASSIFY__NAN);
    bml_classify__score_matrix(s, matrix, n_class);
    if (!(s->n > 0)) {
        return BML_CLASSIFY_TOO_FEW;
    }
    bml_classify__score_loss(s, &a);
    bml_classify__room room = {NULL, 0};
    bml_classify__scratch t;
    memset(&t, 0, sizeof t);
    do {
        t.score = bml_classify__take_doubles(&room, n, 1);
        t.component = bml_classify__take_doubles(&room, n, 1);
        t.is = bml_classify__take_ints(&room, n);
        t.ranks.row = (bml_classify__keyed *)bml_classify__take(&room, n, 1, sizeof *t.ranks.row);
        bml_classify__take_points(&t.curve, &room, n);
    } while (bml_classify__again(&room));
    status = room.base ? bml_classify__score_ranks(s, &t, &a) : BML_CLASSIFY_NO_MEMORY;
    BML_CLASSIFY_FREE(room.base);
    return status;
}

BML_CLASSIFY_DEF int bml_classify_cross_validate(bml_classify_scores *s, double *p, const bml_classify_config *config,
                                                 const bml_classify_data *data, int n_folds, char *why) {
    bml_classify__no_message(why);
    int status = bml_classify__check_data(data, why);
    if (!status && (!s || !config)) {
        status = bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "scores or config are missing");
    }
    if (!status) {
        status = bml_classify__check_classes(data->y, data->n, data->n_class, "cross validation", why);
    }
    if (status) return status;
    bml_classify__room room = {NULL, 0};
    ptrdiff_t count = bml_classify__at(data->n, data->n_class);
    int *fold;
    double *q;
    do {
        fold = bml_classify__take_ints(&room, data->n);
        q = bml_classify__take_doubles(&room, p ? 0 : count, 1);
    } while (bml_classify__again(&room));
    if (!room.base) {
        return bml_classify__no_memory(why);
    }
    if (p) {
        q = p;
    }
    for (ptrdiff_t i = 0; i < count; i++) {
        q[i] = BML_CLASSIFY__NAN;
    }
    bml_classify__training on = {data, NULL, data->n};
    status = bml_classify_folds(fold, data, NULL, data->n, n_folds, config->seed, why);
    if (!status) {
        status = bml_classify__out_of_fold(q, config, &on, fold, n_folds, why);
    }
    if (!status) {
        status = bml_classify_score(s, q, data->y, NULL, data->n, data->n_class);
        if (status) {
            bml_classify__say(why, status);
        }
    }
    BML_CLASSIFY_FREE(room.base);
    return status;
}

/* >> calibration

   On rows that the model was not trained on. */

/* Mean log loss of p^(1/T)/sum. */
static double bml_classify__loss_at(const bml_classify__answers *a, double temperature) {
    double q[BML_CLASSIFY__MAX_CLASSES];
    double loss = 0;
    int m = 0;
    for (int i = 0; i < a->n; i++) {
        int y = a->y[i];
        if (y < 0) {
            continue;
        }
        bml_classify__copy(q, a->p + bml_classify__at(i, a->n_class), a->n_class);
        bml_classify__cool(q, NULL, a->n_class, temperature);
        loss -= log(q[y] > 1e-300 ? q[y] : 1e-300);
        m++;
    }
    return m ? loss / m : 0;
}

/* Golden section in log T: the loss is convex in 1/T, so it has one minimum. */
BML_CLASSIFY_DEF double bml_classify_temperature(const double *p, const int *y, int n, int n_class) {
    static const double golden = 0.6180339887498949;
    bml_classify__answers of = {p, y, NULL, n, n_class};
    double lo = log(0.05);
    double hi = log(20.0);
    double a = hi - golden * (hi - lo);
    double b = lo + golden * (hi - lo);
    if (!p || !y || n < 1 || n_class < 2 || n_class > BML_CLASSIFY__MAX_CLASSES) {
        return BML_CLASSIFY__NAN;
    }
    double at_a = bml_classify__loss_at(&of, exp(a));
    double at_b = bml_classify__loss_at(&of, exp(b));
    while (hi - lo > 1e-6) {
        if (at_a < at_b) {
            hi = b;
            b = a;
            at_b = at_a;
            a = hi - golden * (hi - lo);
            at_a = bml_classify__loss_at(&of, exp(a));
        } else {
            lo = a;
            a = b;
            at_a = at_b;
            b = lo + golden * (hi - lo);
            at_b = bml_classify__loss_at(&of, exp(b));
        }
    }
    return exp(0.5 * (lo + hi));
}

typedef struct bml_classify__knots { /* of a regression, n of them, with the rows that each stands for */
    double *x, *value, *count;
    int n;
} bml_classify__knots;

/* Adds a knot behind the others, and pools those at the end that fall. */
static void bml_classify__pool(bml_classify__knots *k, double x, double value, double count) {
    k->x[k->n] = x;
    k->value[k->n] = value;
    k->count[k->n++] = count;
    while (k->n > 1 && k->value[k->n - 2] >= k->value[k->n - 1]) {
        int a = k->n - 2;
        int b = k->n - 1;
        double sum = k->count[a] + k->count[b];
        k->x[a] = (k->x[a] * k->count[a] + k->x[b] * k->count[b]) / sum;
        k->value[a] = (k->value[a] * k->count[a] + k->value[b] * k->count[b]) / sum;
        k->count[a] = sum;
        k->n--;
    }
}

/* Blocks of equal scores first, then neighbours that fall are pooled. A block's knot stands at its mean score. */
BML_CLASSIFY_DEF int bml_classify_isotonic(double *x, double *value, int *n_knots, const double *score, const int *y,
                                           int n) {
    if (!x || !value || !n_knots || !score || !y || n < 1) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    bml_classify__room room = {NULL, 0};
    bml_classify__knots k = {x, value, NULL, 0};
    bml_classify__ranks r;
    do {
        r.row = (bml_classify__keyed *)bml_classify__take(&room, n, 1, sizeof *r.row);
        k.count = bml_classify__take_doubles(&room, n, 1);
    } while (bml_classify__again(&room));
    int status = room.base ? bml_classify__rank(&r, score, y, NULL, n) : BML_CLASSIFY_NO_MEMORY;
    if (!status && !r.n) {
        status = BML_CLASSIFY_TOO_FEW;
    }
    for (int i = status ? -1 : r.n - 1; i >= 0;) { /* lowest first */
        double positive = 0;
        double all = 0;
        double key = r.row[i].key;
        for (; i >= 0 && !(r.row[i].key < key); i--) {
            positive += y[r.row[i].index];
            all += 1;
        }
        bml_classify__pool(&k, -key, positive / all, all);
    }
    *n_knots = k.n;
    BML_CLASSIFY_FREE(room.base);
    return status;
}

BML_CLASSIFY_DEF double bml_classify_isotonic_at(const double *x, const double *value, int n_knots, double score) {
    int lo = 0;
    int hi = n_knots - 1;
    if (n_knots < 1 || isnan(score)) {
        return BML_CLASSIFY__NAN;
    }
    if (score <= x[0]) {
        return value[0];
    }
    if (score >= x[hi]) {
        return value[hi];
    }
    while (hi - lo > 1) {
        int middle = (lo + hi) / 2;
        if (x[middle] <= score) {
            lo = middle;
        } else {
            hi = middle;
        }
    }
    return value[lo] + (value[hi] - value[lo]) * (score - x[lo]) / (x[hi] - x[lo]);
}

/* >> explanation and domain

   Importances ask the model about rows that were changed; distances and weights compare rows with rows. */

typedef struct bml_classify__probe { /* a copy of rows, to be changed */
    bml_classify_data copy;
    const bml_classify_model *model;
    double *p, *q;   /* [n][n_class] */
    double *score;   /* [n] */
    double *slope;   /* [n][d] */
    double *sd;      /* [d] */
    int *order;      /* [n] */
    double original; /* what the unchanged rows are worth */
    bml_classify__ranks ranks;
    void *block;
} bml_classify__probe;

/* Copies rows[n] of data, x and y; free t->block. */
static int bml_classify__probe_start(bml_classify__probe *t, const bml_classify_model *model,
                                     const bml_classify_data *data, const int *rows, int n) {
    bml_classify__room room = {NULL, 0};
    memset(t, 0, sizeof *t);
    t->model = model;
    t->copy = *data;
    t->copy.n = n;
    t->copy.source = NULL;
    do {
        t->copy.x = bml_classify__take_doubles(&room, n, data->d);
        t->copy.y = bml_classify__take_ints(&room, n);
        t->p = bml_classify__take_doubles(&room, n, data->n_class);
        t->q = bml_classify__take_doubles(&room, n, data->n_class);
        t->score = bml_classify__take_doubles(&room, n, 1);
        t->slope = bml_classify__take_doubles(&room, n, data->d);
        t->sd = bml_classify__take_doubles(&room, data->d, 1);
        t->order = bml_classify__take_ints(&room, n);
        t->ranks.row = (bml_classify__keyed *)bml_classify__take(&room, n, 1, sizeof *t->ranks.row);
    } while (bml_classify__again(&room));
    t->block = room.base;
    if (!room.base) {
        return BML_CLASSIFY_NO_MEMORY;
    }
    for (int i = 0; i < n; i++) {
        int row = bml_classify__pick(rows, i);
        double *to = t->copy.x + bml_classify__at(i, data->d);
        bml_classify__copy(to, data->x + bml_classify__at(row, data->d), data->d);
        t->copy.y[i] = data->y[row];
    }
    return BML_CLASSIFY_OK;
}

/* What permutation lowers: the AUC of class 1, or the mean log likelihood; of the rows as they are. */
static int bml_classify__ask_worth(double *worth, bml_classify__probe *t) {
    const bml_classify_data *c = &t->copy;
    int status = bml_classify_predict(t->p, NULL, t->model, c, NULL, c->n);
    double sum = 0;
    if (status) return status;
    if (c->n_class == 2) {
        for (int i = 0; i < c->n; i++) {
            t->score[i] = t->p[2 * i + 1];
        }
        status = bml_classify__rank(&t->ranks, t->score, c->y, NULL, c->n);
        if (!status) {
            *worth = bml_classify__auc(&t->ranks);
        }
        return status;
    }
    for (int i = 0; i < c->n; i++) {
        double own = t->p[bml_classify__at(i, c->n_class) + c->y[i]];
        sum += log(own > 1e-15 ? own : 1e-15) / c->n;
    }
    *worth = sum;
    return BML_CLASSIFY_OK;
}

/* The fall by shuffling feature j once; column[n] keeps its values meanwhile. */
static int bml_classify__permute(double *fall, bml_classify__probe *t, int j, double *column, bml_classify_rng *rng) {
    int n = t->copy.n;
    int d = t->copy.d;
    double worth = 0;
    for (int i = 0; i < n; i++) {
        t->order[i] = i;
        column[i] = t->copy.x[bml_classify__at(i, d) + j];
    }
    bml_classify__shuffle(t->order, n, rng);
    for (int i = 0; i < n; i++) {
        t->copy.x[bml_classify__at(i, d) + j] = column[t->order[i]];
    }
    int status = bml_classify__ask_worth(&worth, t);
    for (int i = 0; i < n; i++) {
        t->copy.x[bml_classify__at(i, d) + j] = column[i];
    }
    *fall = t->original - worth;
    return status;
}

BML_CLASSIFY_DEF int bml_classify_permutation_importance(double *importance, const bml_classify_model *model,
                                                         const bml_classify_data *data, const int *rows, int n_rows,
                                                         int repeats, uint64_t seed) {
    if (!importance || !model || !data || n_rows < 2 || repeats < 1) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    if (!bml_classify__has_rows(data, rows, n_rows)) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    for (int i = 0; i < n_rows; i++) {
        if (data->y[bml_classify__pick(rows, i)] < 0) {
            return BML_CLASSIFY_BAD_ARGUMENT;
        }
    }
    bml_classify__probe t;
    int status = bml_classify__probe_start(&t, model, data, rows, n_rows);
    if (!status) {
        status = bml_classify__check_classes(t.copy.y, n_rows, data->n_class, "", NULL);
    }
    if (!status) {
        status = bml_classify__ask_worth(&t.original, &t);
    }
    bml_classify_rng rng = bml_classify__stream(seed, 0, 0, BML_CLASSIFY__STREAM_SHUFFLE);
    for (int j = 0; j < data->d && !status; j++) {
        importance[j] = 0;
        for (int r = 0; r < repeats && !status; r++) {
            double fall;
            status = bml_classify__permute(&fall, &t, j, t.slope, &rng);
            importance[j] += fall / repeats;
        }
    }
    BML_CLASSIFY_FREE(t.block);
    return status;
}

/* sd of feature j over the rows that hold a value. */
static double bml_classify__feature_sd(const bml_classify_data *data, int j) {
    double mean = 0;
    double size = 0;
    double var = 0;
    int n = 0;
    for (int i = 0; i < data->n; i++) {
        double v = data->x[bml_classify__at(i, data->d) + j];
        if (!isfinite(v)) {
            continue;
        }
        mean += v;
        size = fabs(v) > size ? fabs(v) : size;
        n++;
    }
    mean = n ? mean / n : 0;
    for (int i = 0; i < data->n && size > 0; i++) {
        double v = data->x[bml_classify__at(i, data->d) + j];
        if (isfinite(v)) {
            var += (v - mean) / size * ((v - mean) / size);
        }
    }
    return n ? size * sqrt(var / n) : 0;
}

/* slope[n][d], feature j: |p(x + step) - p(x - step)| / (2 step), in sds. */
static int bml_classify__differentiate(bml_classify__probe *t, int j) {
    static const double step = 0.05;
    int d = t->copy.d;
    int K = t->copy.n_class;
    double *x = t->copy.x + j;
    double *slope = t->slope + j;
    double move = step * t->sd[j];
    for (int i = 0; i < t->copy.n; i++) {
        slope[bml_classify__at(i, d)] = x[bml_classify__at(i, d)]; /* until the slope stands there */
        x[bml_classify__at(i, d)] += move;
    }
    int status = bml_classify_predict(t->p, NULL, t->model, &t->copy, NULL, t->copy.n);
    for (int i = 0; i < t->copy.n; i++) {
        x[bml_classify__at(i, d)] += -2 * move;
    }
    if (!status) {
        status = bml_classify_predict(t->q, NULL, t->model, &t->copy, NULL, t->copy.n);
    }
    for (int i = 0; i < t->copy.n; i++) {
        ptrdiff_t row = bml_classify__at(i, d);
        ptrdiff_t one = bml_classify__at(i, K) + 1;
        x[row] = slope[row];
        slope[row] = fabs(t->p[one] - t->q[one]) / (2 * step);
    }
    return status;
}

BML_CLASSIFY_DEF int bml_classify_gradient_importance(double *importance, const bml_classify_model *model,
                                                      const bml_classify_data *data, const int *rows, int n_rows) {
    if (!importance || !model || !data || n_rows < 1) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    if (!bml_classify__has_rows(data, rows, n_rows)) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    bml_classify__probe t;
    int status = bml_classify__probe_start(&t, model, data, rows, n_rows);
    for (int j = 0; j < data->d && !status; j++) {
        t.sd[j] = bml_classify__feature_sd(data, j);
        status = bml_classify__differentiate(&t, j);
    }
    bml_classify__clear(importance, data->d);
    for (int i = 0; i < n_rows && !status; i++) {
        const double *slope = t.slope + bml_classify__at(i, data->d);
        double sum = 0;
        for (int j = 0; j < data->d; j++) {
            sum += slope[j];
        }
        for (int j = 0; j < data->d && sum > 0; j++) {
            importance[j] += slope[j] / sum / n_rows;
        }
    }
    BML_CLASSIFY_FREE(t.block);
    return status;
}

/* distance[n]: mean distance of x[n][d] to its nearest rows of z[m][d], list = 0 ... m-1; `own`: x are the same rows,
   and not their own neighbours. */
static void bml_classify__distances(double *distance, const double *x, int n, const double *z, const int *list, int m,
                                    int d, int own) {
    double r[BML_CLASSIFY__NEIGHBOURS];
    int place[BML_CLASSIFY__NEIGHBOURS];
    for (int i = 0; i < n; i++) {
        const double *row = x + bml_classify__at(i, d);
        int found = bml_classify__nearest(r, place, row, z, list, m, d, own ? i : -1);
        distance[i] = 0;
        for (int k = 0; k < found; k++) {
            distance[i] += sqrt(r[k]) / found;
        }
    }
}

/* Distances in units of the median of those among the training rows. */
static int bml_classify__measure(double *distance, const bml_classify__scaling *s, const bml_classify_data *data,
                                 const int *rows, int n_rows, const int *train, int n_train) {
    bml_classify__room room = {NULL, 0};
    double *z;
    double *x;
    double *own;
    int *list;
    do {
        z = bml_classify__take_doubles(&room, n_train, s->d);
        x = bml_classify__take_doubles(&room, n_rows, s->d);
        own = bml_classify__take_doubles(&room, n_train, 1);
        list = bml_classify__take_ints(&room, n_train);
    } while (bml_classify__again(&room));
    if (!room.base) {
        return BML_CLASSIFY_NO_MEMORY;
    }
    for (int i = 0; i < n_train; i++) {
        list[i] = i;
    }
    bml_classify__standardise(z, s, data, train, n_train);
    bml_classify__standardise(x, s, data, rows, n_rows);
    bml_classify__distances(own, z, n_train, z, list, n_train, s->d, 1);
    bml_classify__distances(distance, x, n_rows, z, list, n_train, s->d, 0);
    double unit = bml_classify__median(own, n_train);
    for (int i = 0; i < n_rows; i++) {
        double beyond = distance[i] > 0 ? BML_CLASSIFY__INF : 1; /* the training rows coincide */
        distance[i] = unit > 0 ? distance[i] / unit : beyond;
    }
    BML_CLASSIFY_FREE(room.base);
    return BML_CLASSIFY_OK;
}

BML_CLASSIFY_DEF int bml_classify_domain_distance(double *distance, const bml_classify_data *data, const int *rows,
                                                  int n_rows, const int *train, int n_train, const int *columns,
                                                  int n_columns) {
    if (!distance || !data || !train) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    if (n_train < BML_CLASSIFY__NEIGHBOURS + 2) {
        return BML_CLASSIFY_TOO_FEW;
    }
    if (!bml_classify__has_rows(data, train, n_train)) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    if (!bml_classify__has_rows(data, rows, n_rows)) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    bml_classify__scaling s;
    memset(&s, 0, sizeof s);
    int status = bml_classify__scale(&s, columns, n_columns, data, train, n_train, NULL);
    if (!status) {
        status = bml_classify__measure(distance, &s, data, rows, n_rows, train, n_train);
    }
    BML_CLASSIFY_FREE(s.block);
    return status;
}

/* The bin of v between edges[n_bins - 1], rising. */
static int bml_classify__bin_of(double v, const double *edges, int n_bins) {
    int b = 0;
    while (b < n_bins - 1 && v > edges[b]) {
        b++;
    }
    return b;
}

/* share[n_bins] of value[n] in each bin. */
static void bml_classify__shares(double *share, const double *value, int n, const double *edges, int n_bins) {
    for (int i = 0; i < n; i++) {
        share[bml_classify__bin_of(value[i], edges, n_bins)] += 1.0 / n;
    }
}

static int bml_classify__any_nan(const double *value, int n) {
    for (int i = 0; i < n; i++) {
        if (isnan(value[i])) {
            return 1;
        }
    }
    return 0;
}

BML_CLASSIFY_DEF int bml_classify_match_weights(double *weight, double *covered, const double *value, int n,
                                                const double *target, int n_target, int n_bins) {
    static const double highest = 20;
    double sum = 0;
    if (!weight || !covered || !value || !target) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    if (n < 1 || n_bins < 1 || n_target < n_bins) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    if (bml_classify__any_nan(value, n) || bml_classify__any_nan(target, n_target)) {
        return BML_CLASSIFY_BAD_ARGUMENT;
    }
    bml_classify__room room = {NULL, 0};
    double *sorted;
    double *edges;
    double *have;
    double *want;
    do {
        sorted = bml_classify__take_doubles(&room, n_target, 1);
        edges = bml_classify__take_doubles(&room, n_bins, 1);
        have = bml_classify__take_doubles(&room, n_bins, 1);
        want = bml_classify__take_doubles(&room, n_bins, 1);
    } while (bml_classify__again(&room));
    if (!room.base) {
        return BML_CLASSIFY_NO_MEMORY;
    }
    bml_classify__copy(sorted, target, n_target);
    bml_classify__sort(sorted, n_target);
    for (int b = 0; b < n_bins - 1; b++) {
        edges[b] = sorted[(int)((double)(b + 1) * n_target / n_bins) - 1];
    }
    bml_classify__shares(have, value, n, edges, n_bins);
    bml_classify__shares(want, target, n_target, edges, n_bins);
    *covered = 0;
    for (int b = 0; b < n_bins; b++) {
        *covered += have[b] > 0 ? want[b] : 0;
    }
    for (int i = 0; i < n; i++) {
        int b = bml_classify__bin_of(value[i], edges, n_bins);
        double ratio = want[b] / have[b];
        weight[i] = ratio < highest ? ratio : highest;
        sum += weight[i] / n;
    }
    for (int i = 0; i < n && sum > 0; i++) {
        weight[i] /= sum;
    }
    BML_CLASSIFY_FREE(room.base);
    return BML_CLASSIFY_OK;
}

#undef BML_CLASSIFY__NN
#undef BML_CLASSIFY__NAN
#undef BML_CLASSIFY__INF
#undef BML_CLASSIFY__PRINTF
#endif /* BML_CLASSIFY_IMPLEMENTATION */

/* HISTORY
   0.1.0  first version
   0.2.0  one contract with the other headers: rules for every setting, one generator, one block per object; unknown
          classes, tables with ; or tabs, .gz, joins, the catalogue's own fits, thresholds of stated purity

   LICENCE

   This software is available under two licences: choose whichever you prefer.

   ------------------------------------------------------------------------------
   ALTERNATIVE A - Public domain (www.unlicense.org)

   This is free and unencumbered software released into the public domain.

   Anyone is free to copy, modify, publish, use, compile, sell, or distribute this
   software, either in source code form or as a compiled binary, for any purpose,
   commercial or non-commercial, and by any means.

   In jurisdictions that recognize copyright laws, the author or authors of this
   software dedicate any and all copyright interest in the software to the public
   domain. We make this dedication for the benefit of the public at large and to
   the detriment of our heirs and successors. We intend this dedication to be an
   overt act of relinquishment in perpetuity of all present and future rights to
   this software under copyright law.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
   IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
   FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
   AUTHORS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN
   ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION
   WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

   ------------------------------------------------------------------------------
   ALTERNATIVE B - MIT License

   Copyright (c) 2026 the authors of bml

   Permission is hereby granted, free of charge, to any person obtaining a copy of
   this software and associated documentation files (the "Software"), to deal in
   the Software without restriction, including without limitation the rights to
   use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies
   of the Software, and to permit persons to whom the Software is furnished to do
   so, subject to the following conditions:

   The above copyright notice and this permission notice shall be included in all
   copies or substantial portions of the Software.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
   IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
   FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
   AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
   LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
   OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
   SOFTWARE.
*/
