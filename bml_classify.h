/* bml_classify.h - which catalogue source is what, with honest uncertainties, in one file of C.

   Reads Fermi-LAT catalogues (or any table), makes features, trains classifiers (logistic regression, kernels, forest,
   boosted trees, and the networks of bml_nn.h), calibrates their probabilities, and measures what they are worth.

       #define BML_CLASSIFY_IMPLEMENTATION      (in exactly one .c or .cpp file)
       #include "bml_classify.h"

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
           if (!status) status = bml_classify_cross_validate(&s, NULL, &config, data, 5, why);
           if (status) printf("%s: %s\n", bml_classify_strerror(status), why);
           else printf("AUC %.4f +- %.4f\n", s.auc, s.auc_error);
           bml_classify_data_free(data);
           bml_classify_table_free(table);
           return status != 0;
       }

   It refuses: tables with a damaged cell, a source twice, or a class nobody knows (the message names row and column);
   sets of one class, or with fewer rows of a class than folds; columns that hold nothing.
   It never lets a test row touch the training: scaling, augmentation and calibration are learned inside
   bml_classify_fit from the rows given to it, and from no others. Link with -lm. Reads files, writes none; no globals,
   no clock. */

/* SETUP, USE, SHUTDOWN

   1. bml_classify_table_read(&table, path, why): CSV, or FITS when compiled with cfitsio.
   2. bml_classify_catalog_create(&catalog, table, why) for a Fermi-LAT catalogue; catalog->report says what was found
      of NaN, infinities, zeros and upper limits. bml_classify_match_pulsars(...) tells young from millisecond pulsars.
      bml_classify_data_from_catalog(&data, catalog, &features, why): the rows of one task, with their features.
      For any other table: bml_classify_data_from_table(&data, table, "class", why), or fill in a bml_classify_data.
   3. bml_classify_split(...) for 70/30, bml_classify_folds(...) for k folds: stratified, by seed.
   4. bml_classify_fit(&model, &config, data, rows, n_rows, why) on the training rows; zero members of the config mean
      the defaults beside them. bml_classify_predict(p, sd, model, data, rows, n) for probabilities.
   5. bml_classify_score(&s, p, labels, NULL, n, n_class) for everything that is usually quoted, or the single metrics.
   6. bml_classify_model_free, bml_classify_data_free, bml_classify_catalog_free, bml_classify_table_free.

   Every function that can fail takes `why`, which may be NULL: what is to be added to the status (file and line, row
   and column, a name). Objects are independent of each other; a const object may serve many threads.

   OPTIONS

   BML_CLASSIFY_IMPLEMENTATION    this file gives the functions, not only their declarations. It includes bml_nn.h, with
                                  a private copy of its functions unless you have included that before
   BML_CLASSIFY_STATIC            all functions static (define with the above)
   BML_CLASSIFY_USE_CFITSIO       read FITS files through cfitsio (link with -lcfitsio)
   BML_CLASSIFY_NO_NN             without bml_nn.h: the networks are refused with BML_CLASSIFY_NO_NETWORKS
   BML_CLASSIFY_MALLOC(n), BML_CLASSIFY_REALLOC(p, n), BML_CLASSIFY_FREE(p)     all three or none; default: C library

   METHODS

   Rules for values. A flux that is NaN or infinite is missing. Zeros, negative values and upper limits (lower error
   NaN) are kept as they stand in the catalogue: a best fit of 1e-17 is what a band with no signal gives. All are
   counted in the report. A missing feature takes the training mean of its column.

   Features. raw: fluxes as they stand. log: log10 of max(f, 0.1 m), m the median upper error of that band (of all years
   together) in the catalogue: below a tenth of the error, differences are numerical noise. derived: differences of the
   log features of neighbouring bands (slopes) and of those (curvatures); log of the summed and of the mean yearly flux;
   log relative scatter, log(1 + chi2) about the mean with the upper errors, log highest/mean, log lowest/mean, scatter
   of the logs, and mean absolute step from year to year. With them fit: slope and curvature, b and c, of the spectrum
   exp(a + b u + c u^2), u = -1 to 1 over the bands, of least chi2 with the upper errors (a missing error counts as the
   band's median; priors of mean 0 and sd 20 for b, 4 for c), and gain, log(1 + the chi2 that c saves). errors: log10
   of upper errors and of flux/error. sqrt_ts: log10(1 + sqrt TS). latitude: |b|, or b. A class that depends on latitude
   is learned too, and is then a prior of the survey, not of the source: leave latitude out when the verdicts' own
   distribution in latitude is to mean anything.

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
   look at the domain distance and at the reweighted scores, and do not count candidates by summing p.

   Generator. Philox4x32-10 (Salmon et al. 2011, SC'11): same seed, same numbers, whatever the number of threads. */
#ifndef BML_CLASSIFY_H
#define BML_CLASSIFY_H
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

/* ---- status ---- */
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
    X(BML_CLASSIFY_CANCELLED, -16, "cancelled by the progress callback")
#define BML_CLASSIFY__ENUM(name, value, text) name = value,
enum { BML_CLASSIFY_STATUS_TABLE(BML_CLASSIFY__ENUM) BML_CLASSIFY__STATUS_END = 1 };
#undef BML_CLASSIFY__ENUM
enum { BML_CLASSIFY_MESSAGE = 512, BML_CLASSIFY_NAME = 48 }; /* bytes of `why` and of a name, with the NUL */

/* The message of a status; "unknown status" for other numbers. Static text. */
BML_CLASSIFY_DEF const char *bml_classify_strerror(int status);

/* ---- random numbers ---- */
typedef struct bml_classify_rng {
    uint32_t key[2];     /* seed */
    uint32_t counter[4]; /* number of the next block */
    uint32_t block[4];   /* the present block */
    uint32_t used;       /* words of it already given out, 4 = all */
} bml_classify_rng;      /* plain data: copy it to save it */

/* One Philox4x32-10 block: out[4] from counter[4] and key[2]. */
BML_CLASSIFY_DEF void bml_classify_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key);
/* The generator number `stream` of `seed`; different streams do not overlap. */
BML_CLASSIFY_DEF void bml_classify_rng_init(bml_classify_rng *rng, uint64_t seed, uint64_t stream);
BML_CLASSIFY_DEF uint32_t bml_classify_rng_u32(bml_classify_rng *rng);   /* 32 random bits */
BML_CLASSIFY_DEF double bml_classify_rng_uniform(bml_classify_rng *rng); /* uniform in (0,1), ends excluded, 53 bits */
BML_CLASSIFY_DEF double bml_classify_rng_normal(bml_classify_rng *rng);  /* mean 0, sd 1 */

/* ---- tables ---- */
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
    void **owned;                /* what the pointers above point into */
    int n_owned;
} bml_classify_table;

/* Reads a file: FITS if it begins like one (first table with rows; a vector column X of 7 becomes X_1 ... X_7), else
   CSV (a line of names, then rows; "quoted" fields; # begins a comment line; a decimal point). On failure *table is
   NULL. NO_FILE, BAD_TABLE, NO_FITS, DUPLICATE (two columns of one name), NO_MEMORY, TOO_LARGE. */
BML_CLASSIFY_DEF int bml_classify_table_read(bml_classify_table **table, const char *path, char *why);
/* The same of CSV text[size] in memory; `name` is for messages. */
BML_CLASSIFY_DEF int bml_classify_table_parse(bml_classify_table **table, const char *text, size_t size,
                                              const char *name, char *why);
BML_CLASSIFY_DEF void bml_classify_table_free(bml_classify_table *table);
/* Number of the column of that name, upper and lower case alike, or -1. */
BML_CLASSIFY_DEF int bml_classify_table_find(const bml_classify_table *table, const char *name);
/* out[n_rows] of a column; empty, "nan", "null", "none" and "--" give NaN; "inf" an infinity. BAD_VALUE names line and
   column. BAD_ARGUMENT for a column that is not there. */
BML_CLASSIFY_DEF int bml_classify_table_numbers(double *out, const bml_classify_table *table, int column, char *why);

/* ---- Fermi-LAT catalogues ---- */
enum {                         /* what a source is */
       BML_CLASSIFY_BLANK = 0, /* no association */
       BML_CLASSIFY_UNKNOWN,   /* "unk": associated with something of no known class */
       BML_CLASSIFY_BCU,
       BML_CLASSIFY_BLL,
       BML_CLASSIFY_FSRQ,
       BML_CLASSIFY_OTHER_AGN, /* rdg agn css nlsy1 ssrq sey */
       BML_CLASSIFY_PSR,       /* psr, msp */
       BML_CLASSIFY_OTHER,     /* pwn snr spp glc hmb lmb bin nov sfr gal sbg gc */
       BML_CLASSIFY_N_KINDS
};
enum { BML_CLASSIFY_NO_PULSAR = 0, BML_CLASSIFY_YOUNG, BML_CLASSIFY_MILLISECOND };

/* What a group of columns holds. */
typedef struct bml_classify_report {
    const char *what; /* "Flux_Band"; NULL ends the list */
    long n, n_nan, n_infinite, n_zero, n_negative;
    long n_limits;    /* upper limits: the lower error is NaN */
    const char *rule; /* what is done with them */
} bml_classify_report;

typedef struct bml_classify_catalog {
    int n, n_bands, n_years;
    char (*name)[BML_CLASSIFY_NAME];        /* [n] "4FGL J0000.3-7355" */
    char (*label)[BML_CLASSIFY_NAME];       /* [n] the class as in the file */
    char (*association)[BML_CLASSIFY_NAME]; /* [n] ASSOC1; "" where the column is absent */
    int *kind;                              /* [n] BML_CLASSIFY_BLANK ... */
    int *pulsar;                            /* [n] BML_CLASSIFY_YOUNG, ..., after bml_classify_match_pulsars */
    int *release;                           /* [n] DataRelease; 0 where the column is absent */
    double *lon, *lat;                      /* [n] Galactic [deg] */
    double *flux, *flux_error;              /* [n][n_bands] band fluxes, their upper errors [ph cm^-2 s^-1] */
    double *sqrt_ts;                        /* [n][n_bands] NaN where the column is absent */
    double *history, *history_error;        /* [n][n_years] yearly fluxes, their upper errors [ph cm^-2 s^-1] */
    double *variability, *curvature; /* [n] Variability_Index; significance of curvature LP_SigCurv [sigma]; or NaN */
    bml_classify_report report[6];
} bml_classify_catalog;

/* Takes a catalogue (4FGL, DR1 to DR4) from a table by column names. Needed: Source_Name, CLASS1 (or CLASS), GLAT,
   Flux_Band_1..., Flux_History_1.... Used when there: GLON, DataRelease, ASSOC1, Unc_Flux_Band_1...(lower, upper for
   each band), Sqrt_TS_Band_1..., Unc_Flux_History_1..., Variability_Index, LP_SigCurv. The number of bands and years is
   what the file has. Copies: the table may be freed. NO_COLUMN, BAD_VALUE, DUPLICATE, BAD_LABEL, NO_MEMORY. */
BML_CLASSIFY_DEF int bml_classify_catalog_create(bml_classify_catalog **catalog, const bml_classify_table *table,
                                                 char *why);
BML_CLASSIFY_DEF void bml_classify_catalog_free(bml_classify_catalog *catalog);
/* The kind of a class name in any case, or -1. */
BML_CLASSIFY_DEF int bml_classify_kind(const char *label);
/* Marks catalog->pulsar from a pulsar list with columns Source_Name (or PSR, compared with ASSOC1) and is_msp (or P_ms:
   below 30 ms is a millisecond pulsar). Only sources of kind PSR are marked; *n_young and *n_millisecond count them.
   NO_COLUMN, BAD_VALUE. */
BML_CLASSIFY_DEF int bml_classify_match_pulsars(int *n_young, int *n_millisecond, bml_classify_catalog *catalog,
                                                const bml_classify_table *list, char *why);

/* ---- data: rows, features, labels ---- */
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
enum {
    BML_CLASSIFY_RAW = 1,
    BML_CLASSIFY_LOG = 2,
    BML_CLASSIFY_DERIVED = 4,
    BML_CLASSIFY_ERRORS = 8,
    BML_CLASSIFY_SQRT_TS = 16,
    BML_CLASSIFY_LATITUDE = 32,
    BML_CLASSIFY_SIGNED_LATITUDE = 64
};
enum { BML_CLASSIFY_ENERGY = 1, BML_CLASSIFY_TIME = 2, BML_CLASSIFY_PLACE = 4 }; /* what a feature is of */

typedef struct bml_classify_features {
    int task;   /* BML_CLASSIFY_AGN_PSR ... */
    int kinds;  /* sum of BML_CLASSIFY_RAW ...; 0 = RAW */
    int inputs; /* ENERGY, TIME or their sum; 0 = both. Latitude stays in whatever this says */
} bml_classify_features;

/* Labelled rows and candidates of a task (y = -1: blank and unk; for BLL_FSRQ bcu), in the order of the catalogue.
   ONE_CLASS, BAD_ARGUMENT, NO_MEMORY. */
BML_CLASSIFY_DEF int bml_classify_data_from_catalog(bml_classify_data **data, const bml_classify_catalog *catalog,
                                                    const bml_classify_features *features, char *why);
/* Every column but `label` as a feature; classes in the order of their names; rows without a label have y = -1.
   NO_COLUMN, BAD_VALUE, ONE_CLASS; BAD_LABEL for more than 32 classes; EMPTY_COLUMN for a column without a number. */
BML_CLASSIFY_DEF int bml_classify_data_from_table(bml_classify_data **data, const bml_classify_table *table,
                                                  const char *label, char *why);
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

/* ---- models ---- */
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
    int n_members;
    int (*progress)(double done, void *user); /* called with the fraction done; non-zero cancels; NULL = none */
    void *progress_user;
} bml_classify_config;

typedef struct bml_classify_model bml_classify_model;

/* "logistic", "forest" ...; "?" for other numbers. Static text. */
BML_CLASSIFY_DEF const char *bml_classify_model_name(int model);
/* Fits to rows[n_rows] of data, which must have labels (NULL: all rows that have one). Nothing else of data
   is looked at. On failure *model is NULL. BAD_ARGUMENT, ONE_CLASS, TOO_FEW, EMPTY_COLUMN, NO_MEMORY,
   NO_NETWORKS, NOT_CONVERGED. */
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

/* ---- metrics ----
   score[n] is the probability (or any score) of class 1, y[n] 0 or 1, w[n] weights or NULL: all 1. Rows with y < 0 are
   left out. Metrics return NaN where they are not defined: one class only, no rows, a NaN score. */
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

/* ---- calibration ---- */
/* T that minimises the log loss of p^(1/T)/sum over rows of p[n][n_class] with labels y[n]; within 0.05 and 20. */
BML_CLASSIFY_DEF double bml_classify_temperature(const double *p, const int *y, int n, int n_class);
/* Isotonic regression of y on score: knots x[n], value[n], *n_knots of them, x rising, value not falling. NO_MEMORY. */
BML_CLASSIFY_DEF int bml_classify_isotonic(double *x, double *value, int *n_knots, const double *score, const int *y,
                                           int n);
/* The regression at one score: linear between knots, constant outside. */
BML_CLASSIFY_DEF double bml_classify_isotonic_at(const double *x, const double *value, int n_knots, double score);

/* ---- explanation, domain ---- */
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
#if !defined(BML_CLASSIFY_NO_NN) && !defined(BML_NN_H)
#if !defined(BML_NN_IMPLEMENTATION) && !defined(BML_NN_IMPLEMENTED) /* nobody has asked for it: a copy for this file alone */
#define BML_NN_STATIC
#define BML_NN_IMPLEMENTATION
#endif
#include "bml_nn.h"
#endif
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h> /* strtod, qsort */
#ifndef BML_CLASSIFY_MALLOC
#define BML_CLASSIFY_MALLOC(n) malloc(n)
#define BML_CLASSIFY_REALLOC(p, n) realloc(p, n)
#define BML_CLASSIFY_FREE(p) free(p)
#endif
#ifdef BML_CLASSIFY_USE_CFITSIO
#include <fitsio.h>
#endif
#define BML_CLASSIFY__NAN ((double)NAN) /* the C library's are float: said aloud for -Wdouble-promotion */
#define BML_CLASSIFY__INF ((double)INFINITY)
#if defined(__GNUC__) || defined(__clang__)
#define BML_CLASSIFY_PRINTF __attribute__((format(printf, 3, 4)))
#else
#define BML_CLASSIFY_PRINTF
#endif

/* >> status, memory, sorting, linear equations */

BML_CLASSIFY_DEF const char *bml_classify_strerror(int status) {
#define BML_CLASSIFY__CASE(name, value, text) \
    if (status == value) return text;
    BML_CLASSIFY_STATUS_TABLE(BML_CLASSIFY__CASE)
#undef BML_CLASSIFY__CASE
    return "unknown status";
}

/* Writes the message, where one is wanted, and hands the status through: return bml_classify__fail(...). */
BML_CLASSIFY_PRINTF static int bml_classify__fail(char *why, int status, const char *format, ...) {
    if (!why) return status;
    va_list args;
    va_start(args, format);
    vsnprintf(why, BML_CLASSIFY_MESSAGE, format, args);
    va_end(args);
    return status;
}

static int bml_classify__no_memory(char *why) {
    return bml_classify__fail(why, BML_CLASSIFY_NO_MEMORY, "out of memory");
}

/* a b c zeroed bytes, NULL on overflow or without memory. */
static void *bml_classify__alloc(size_t a, size_t b, size_t c) {
    size_t bytes = a * b * c;
    if ((b && a > (size_t)-1 / b) || (c && a * b > (size_t)-1 / c)) return NULL;
    void *p = BML_CLASSIFY_MALLOC(bytes > 0 ? bytes : 1);
    if (p) memset(p, 0, bytes);
    return p;
}

static double *bml_classify__doubles(int a, int b) {
    return (double *)bml_classify__alloc((size_t)a, (size_t)b, sizeof(double));
}

static int *bml_classify__ints(int a) {
    return (int *)bml_classify__alloc((size_t)a, sizeof(int), 1);
}

typedef struct bml_classify__keyed {
    double key;
    int index;
} bml_classify__keyed;

static int bml_classify__by_key(const void *a, const void *b) { /* ties by index: the order is then one and the same */
    const bml_classify__keyed *x = (const bml_classify__keyed *)a;
    const bml_classify__keyed *y = (const bml_classify__keyed *)b;
    if (x->key < y->key) return -1;
    if (x->key > y->key) return 1;
    return (x->index > y->index) - (x->index < y->index);
}

static int bml_classify__by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of values[n], which are reordered; NaN when n = 0. */
static double bml_classify__median(double *values, int n) {
    if (n < 1) return BML_CLASSIFY__NAN;
    qsort(values, (size_t)n, sizeof *values, bml_classify__by_value);
    return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

/* Upper and lower case alike; plain ASCII, whatever the locale. */
static int bml_classify__lower(int c) {
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static int bml_classify__same(const char *a, const char *b) {
    while (*a && bml_classify__lower((unsigned char)*a) == bml_classify__lower((unsigned char)*b)) {
        a++;
        b++;
    }
    return bml_classify__lower((unsigned char)*a) == bml_classify__lower((unsigned char)*b);
}

/* a[n][n] symmetric, lower half: replaced by its Cholesky factor. 0 when it is not positive definite. */
static int bml_classify__cholesky(double *a, int n) {
    for (int j = 0; j < n; j++)
        for (int i = j; i < n; i++) {
            double s = a[i * n + j];
            for (int k = 0; k < j; k++)
                s -= a[i * n + k] * a[j * n + k];
            if (i > j)
                a[i * n + j] = s / a[j * n + j];
            else if (s > 0 && s < DBL_MAX)
                a[i * n + i] = sqrt(s);
            else
                return 0;
        }
    return 1;
}

/* x[n] = (L L^T)^-1 x. */
static void bml_classify__solve(double *x, const double *L, int n) {
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < i; k++)
            x[i] -= L[i * n + k] * x[k];
        x[i] /= L[i * n + i];
    }
    for (int i = n - 1; i >= 0; i--) {
        for (int k = i + 1; k < n; k++)
            x[i] -= L[k * n + i] * x[k];
        x[i] /= L[i * n + i];
    }
}

/* >> random numbers */

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

BML_CLASSIFY_DEF void bml_classify_rng_init(bml_classify_rng *rng, uint64_t seed, uint64_t stream) {
    memset(rng, 0, sizeof *rng);
    rng->key[0] = (uint32_t)seed;
    rng->key[1] = (uint32_t)(seed >> 32);
    rng->counter[1] = (uint32_t)stream;
    rng->counter[2] = (uint32_t)(stream >> 32);
    rng->counter[3] = 0xC1A55u;
    rng->used = 4;
}

BML_CLASSIFY_DEF uint32_t bml_classify_rng_u32(bml_classify_rng *rng) {
    if (rng->used >= 4) {
        bml_classify_philox(rng->block, rng->counter, rng->key);
        rng->counter[0]++;
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

BML_CLASSIFY_DEF double bml_classify_rng_uniform(bml_classify_rng *rng) {
    uint64_t high = bml_classify_rng_u32(rng);
    uint64_t low = bml_classify_rng_u32(rng);
    return ((double)((high << 32 | low) >> 12) + 0.5) * (1.0 / 4503599627370496.0); /* 2^-52: + 0.5 stays exact */
}

BML_CLASSIFY_DEF double bml_classify_rng_normal(bml_classify_rng *rng) { /* Box & Muller 1958 */
    double r = sqrt(-2 * log(bml_classify_rng_uniform(rng)));
    return r * cos(6.283185307179586 * bml_classify_rng_uniform(rng));
}

/* 0..n-1; the bias, n/2^32, is far below what any set of sources can show. */
static int bml_classify__below(bml_classify_rng *rng, int n) {
    return (int)(((uint64_t)bml_classify_rng_u32(rng) * (uint64_t)n) >> 32);
}

static void bml_classify__shuffle(int *index, int n, bml_classify_rng *rng) { /* Fisher & Yates */
    for (int i = n - 1; i > 0; i--) {
        int k = bml_classify__below(rng, i + 1);
        int t = index[i];
        index[i] = index[k];
        index[k] = t;
    }
}

/* >> tables

   One copy of the text is kept; its cells become texts in place, column by column. Numbers are read when they are asked
   for, so that a column of names may stand beside them. A FITS table becomes the same thing. */

enum { BML_CLASSIFY__MAX_COLUMNS = 4096 };

BML_CLASSIFY_DEF void bml_classify_table_free(bml_classify_table *table) {
    if (!table) return;
    for (int i = 0; i < table->n_owned; i++)
        BML_CLASSIFY_FREE(table->owned[i]);
    BML_CLASSIFY_FREE(table->owned);
    BML_CLASSIFY_FREE(table);
}

/* a b c zeroed bytes that live as long as the table; NULL without memory. */
static void *bml_classify__table_alloc(bml_classify_table *t, size_t a, size_t b, size_t c) {
    void **more = (void **)BML_CLASSIFY_REALLOC(t->owned, ((size_t)t->n_owned + 1) * sizeof *more);
    if (!more) return NULL;
    t->owned = more;
    void *p = bml_classify__alloc(a, b, c);
    if (p) t->owned[t->n_owned++] = p;
    return p;
}

static int bml_classify__space(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

/* Ends the text at `end` after its last character that is no blank; returns its first. */
static char *bml_classify__trim(char *s, char *end) {
    while (s < end && bml_classify__space(*s))
        s++;
    while (end > s && bml_classify__space(end[-1]))
        end--;
    *end = 0;
    return s;
}

/* The next cell of a line that ends at `end` (a NUL); *next moves on, to NULL after the last cell. NULL for a quote
   that is not closed. A "" within quotes is one ". */
static char *bml_classify__cell(char **next, char *end) {
    char *in = *next;
    char *start = in;
    while (in < end && bml_classify__space(*in))
        in++;
    if (*in != '"') {
        while (in < end && *in != ',')
            in++;
        *next = in < end ? in + 1 : NULL;
        return bml_classify__trim(start, in);
    }
    char *out;
    start = out = ++in;
    while (in < end && (*in != '"' || in[1] == '"')) {
        if (*in == '"') in++;
        *out++ = *in++;
    }
    if (in == end) return NULL;
    for (in++; in < end && bml_classify__space(*in);)
        in++;
    if (in < end && *in != ',') return NULL;
    *next = in < end ? in + 1 : NULL;
    *out = 0;
    return start;
}

/* The next line that is neither empty nor a comment, ended with a NUL at *end; NULL after the last. */
static char *bml_classify__line(char **text, char *stop, char **end, long *line) {
    while (*text < stop) {
        char *start = *text;
        char *newline = (char *)memchr(start, '\n', (size_t)(stop - start));
        *end = newline ? newline : stop;
        *text = newline ? newline + 1 : stop;
        ++*line;
        char *s;
        for (s = start; s < *end && bml_classify__space(*s);)
            s++;
        if (s == *end || *s == '#') continue;
        **end = 0;
        return start;
    }
    return NULL;
}

/* Nothing but text. */
static int bml_classify__check_text(const char *text, size_t size, const char *name, char *why) {
    long line = 1;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n')
            line++;
        else if ((c < ' ' && c != '\t' && c != '\r') || c == 127)
            return bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE, "%.200s:%ld: not a text table (byte 0x%02x)", name,
                                      line, c);
    }
    return BML_CLASSIFY_OK;
}

/* Column names are there, and no two the same. */
static int bml_classify__check_names(const bml_classify_table *t, char *why) {
    for (int i = 0; i < t->n_columns; i++) {
        if (!*t->column[i].name)
            return bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE, "%.200s: column %d has no name", t->name, i + 1);
        for (int k = 0; k < i; k++)
            if (bml_classify__same(t->column[i].name, t->column[k].name))
                return bml_classify__fail(why, BML_CLASSIFY_DUPLICATE,
                                          "%.200s: columns %d and %d are both named '%.60s'", t->name, k + 1, i + 1,
                                          t->column[i].name);
    }
    return BML_CLASSIFY_OK;
}

/* Splits the header line and makes room for at most max_rows rows. */
static int bml_classify__csv_header(bml_classify_table *t, char *s, char *end, long line, int max_rows, char *why) {
    int n = 1;
    for (char *p = s; p < end; p++)
        n += *p == ','; /* at least the number of cells */
    if (n > BML_CLASSIFY__MAX_COLUMNS)
        return bml_classify__fail(why, BML_CLASSIFY_TOO_LARGE, "%.200s:%ld: %d columns, at most %d are read", t->name,
                                  line, n, (int)BML_CLASSIFY__MAX_COLUMNS);
    t->column = (bml_classify_column *)bml_classify__table_alloc(t, (size_t)n, sizeof *t->column, 1);
    t->line = (long *)bml_classify__table_alloc(t, (size_t)max_rows, sizeof *t->line, 1);
    if (!t->column || !t->line) return bml_classify__no_memory(why);
    while (s) {
        char *cell = bml_classify__cell(&s, end);
        if (!cell)
            return bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE, "%.200s:%ld: a quote is not closed", t->name, line);
        t->column[t->n_columns++].name = cell;
    }
    for (int i = 0; i < t->n_columns; i++) {
        t->column[i].text = (const char **)bml_classify__table_alloc(t, (size_t)max_rows, sizeof(char *), 1);
        if (!t->column[i].text) return bml_classify__no_memory(why);
    }
    return bml_classify__check_names(t, why);
}

static int bml_classify__csv_row(bml_classify_table *t, char *s, char *end, long line, char *why) {
    int k = 0;
    while (s) {
        char *cell = bml_classify__cell(&s, end);
        if (!cell)
            return bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE,
                                      "%.200s:%ld: column %d: a quote is not closed, or text "
                                      "stands after it",
                                      t->name, line, k + 1);
        if (k < t->n_columns) t->column[k].text[t->n_rows] = cell;
        k++;
    }
    if (k != t->n_columns)
        return bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE, "%.200s:%ld: %d cells, but %d column names", t->name,
                                  line, k, t->n_columns);
    t->line[t->n_rows++] = line;
    return BML_CLASSIFY_OK;
}

static int bml_classify__csv(bml_classify_table *t, char *text, size_t size, char *why) {
    char *stop = text + size;
    char *end = NULL;
    long line = 0;
    int rows = 1;
    if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) text += 3; /* byte order mark */
    for (char *p = text; p < stop; p++)
        if (*p == '\n' && rows < INT_MAX) rows++;
    char *s = bml_classify__line(&text, stop, &end, &line);
    if (!s) return bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE, "%.200s: no line of column names", t->name);
    int status = bml_classify__csv_header(t, s, end, line, rows, why);
    while (!status && (s = bml_classify__line(&text, stop, &end, &line)) != NULL)
        status = bml_classify__csv_row(t, s, end, line, why);
    if (!status && !t->n_rows)
        return bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE, "%.200s: column names, but no rows", t->name);
    return status;
}

BML_CLASSIFY_DEF int bml_classify_table_parse(bml_classify_table **table, const char *text, size_t size,
                                              const char *name, char *why) {
    if (table) *table = NULL;
    if (!table || (!text && size) || !name)
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "table, text or name is missing");
    if (size >= INT_MAX) return bml_classify__fail(why, BML_CLASSIFY_TOO_LARGE, "%.200s: more than 2 GiB", name);
    bml_classify_table *t;
    t = (bml_classify_table *)bml_classify__alloc(1, sizeof *t, 1);
    char *copy = t ? (char *)bml_classify__table_alloc(t, size + 1, 1, 1) : NULL;
    if (!copy) {
        bml_classify_table_free(t);
        return bml_classify__no_memory(why);
    }
    if (size) memcpy(copy, text, size);
    snprintf(t->name, sizeof t->name, "%.250s", name);
    int status = bml_classify__check_text(copy, size, name, why);
    if (!status) status = bml_classify__csv(t, copy, size, why);
    if (status)
        bml_classify_table_free(t);
    else
        *table = t;
    return status;
}

#ifdef BML_CLASSIFY_USE_CFITSIO
static int bml_classify__fits_fail(char *why, const char *path, const char *what, int code) {
    char text[FLEN_STATUS] = "";
    fits_get_errstatus(code, text);
    return bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE, "%.200s: %.80s: %s (cfitsio %d)", path, what, text, code);
}

/* One column of texts, each `width` characters wide. */
static int bml_classify__fits_text(bml_classify_table *t, fitsfile *f, int at, long width, char *why) {
    bml_classify_column *c = &t->column[t->n_columns];
    size_t stride = (size_t)width + 1;
    char *text = (char *)bml_classify__table_alloc(t, (size_t)t->n_rows, stride, 1);
    char blank[1] = "";
    char **cell = (char **)bml_classify__table_alloc(t, (size_t)t->n_rows, sizeof *cell, 1);
    int code = 0;
    if (!text || !cell) return bml_classify__no_memory(why);
    for (int i = 0; i < t->n_rows; i++)
        cell[i] = text + (size_t)i * stride;
    int any;
    if (fits_read_col(f, TSTRING, at, 1, 1, t->n_rows, blank, cell, &any, &code))
        return bml_classify__fits_fail(why, t->name, c->name, code);
    for (int i = 0; i < t->n_rows; i++)
        cell[i] = bml_classify__trim(cell[i], cell[i] + strlen(cell[i]));
    c->text = (const char **)cell;
    t->n_columns++;
    return BML_CLASSIFY_OK;
}

/* One column of `repeat` numbers per row: as many columns NAME_1, NAME_2, ..., or one NAME. */
static int bml_classify__fits_numbers(bml_classify_table *t, fitsfile *f, int at, const char *name, long repeat,
                                      int real, char *why) {
    double *value = bml_classify__doubles(t->n_rows, (int)repeat);
    double missing = BML_CLASSIFY__NAN;
    int code = 0;
    int status = BML_CLASSIFY_OK;
    if (!value) return bml_classify__no_memory(why);
    /* asked for missing values, cfitsio takes infinities for such; IEEE reals need no asking */
    int any;
    if (fits_read_col(f, TDOUBLE, at, 1, 1, (LONGLONG)t->n_rows * repeat, real ? NULL : &missing, value, &any, &code))
        status = bml_classify__fits_fail(why, t->name, name, code);
    for (int k = 0; k < repeat && !status; k++) {
        bml_classify_column *c = &t->column[t->n_columns++];
        char *label = (char *)bml_classify__table_alloc(t, strlen(name) + 16, 1, 1);
        c->number = (double *)bml_classify__table_alloc(t, (size_t)t->n_rows, sizeof(double), 1);
        if (!label || !c->number) {
            status = bml_classify__no_memory(why);
            break;
        }
        if (repeat == 1)
            strcpy(label, name);
        else
            snprintf(label, strlen(name) + 16, "%s_%d", name, k + 1);
        c->name = label;
        for (int i = 0; i < t->n_rows; i++)
            c->number[i] = value[(size_t)i * (size_t)repeat + (size_t)k];
    }
    BML_CLASSIFY_FREE(value);
    return status;
}

static int bml_classify__fits_column(bml_classify_table *t, fitsfile *f, int at, char *why) {
    char name[FLEN_VALUE] = "";
    char unit[FLEN_VALUE] = "";
    char type[FLEN_VALUE] = "";
    char null[FLEN_VALUE];
    char show[FLEN_VALUE];
    int code = 0;
    int kind = 0;
    int hdu = 0;
    long repeat = 0;
    long width = 0;
    long tnull = 0;
    double scale = 0;
    double zero = 0;
    fits_get_hdu_type(f, &hdu, &code);
    if (hdu == BINARY_TBL)
        fits_get_bcolparms(f, at, name, unit, type, &repeat, &scale, &zero, &tnull, show, &code);
    else
        fits_get_acolparms(f, at, name, &tnull, unit, type, &scale, &zero, null, show, &code);
    fits_get_coltype(f, at, &kind, &repeat, &width, &code);
    if (code) return bml_classify__fits_fail(why, t->name, "a column", code);
    if (!*name) snprintf(name, sizeof name, "column_%d", at);
    if (kind == TSTRING) {
        if (repeat < 1 || repeat > 65535) return BML_CLASSIFY_OK;
        char *label = (char *)bml_classify__table_alloc(t, strlen(name) + 1, 1, 1);
        if (!label) return bml_classify__no_memory(why);
        strcpy(label, name);
        t->column[t->n_columns].name = label;
        return bml_classify__fits_text(t, f, at, repeat, why);
    }
    /* complex numbers and columns of varying length (negative kinds) are of no use here */
    if (kind < 0 || kind == TCOMPLEX || kind == TDBLCOMPLEX || repeat < 1 || repeat > 1000) return BML_CLASSIFY_OK;
    if (t->n_columns + repeat > BML_CLASSIFY__MAX_COLUMNS)
        return bml_classify__fail(why, BML_CLASSIFY_TOO_LARGE, "%.200s: more than %d columns", t->name,
                                  (int)BML_CLASSIFY__MAX_COLUMNS);
    return bml_classify__fits_numbers(t, f, at, name, repeat, hdu == BINARY_TBL && (kind == TFLOAT || kind == TDOUBLE),
                                      why);
}

static int bml_classify__fits(bml_classify_table *t, const char *path, char *why) {
    fitsfile *f = NULL;
    int code = 0;
    int columns = 0;
    int status = BML_CLASSIFY_OK;
    long rows = 0;
    if (fits_open_table(&f, path, READONLY, &code)) { /* the first extension that is a table */
        status = bml_classify__fits_fail(why, path, "no table in this file", code);
        if (f) {
            code = 0;
            fits_close_file(f, &code);
        }
        return status;
    }
    fits_get_num_rows(f, &rows, &code);
    fits_get_num_cols(f, &columns, &code);
    if (code)
        status = bml_classify__fits_fail(why, path, "the table", code);
    else if (rows < 1 || rows > 10000000 || columns < 1)
        status = bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE, "%.200s: a table of %ld rows", path, rows);
    if (!status) {
        t->n_rows = (int)rows;
        t->column =
            (bml_classify_column *)bml_classify__table_alloc(t, BML_CLASSIFY__MAX_COLUMNS, sizeof *t->column, 1);
        t->line = (long *)bml_classify__table_alloc(t, (size_t)rows, sizeof *t->line, 1);
        if (!t->column || !t->line) status = bml_classify__no_memory(why);
    }
    for (int i = 0; i < t->n_rows && !status; i++)
        t->line[i] = i + 1;
    for (int i = 1; i <= columns && !status; i++)
        status = bml_classify__fits_column(t, f, i, why);
    code = 0;
    fits_close_file(f, &code);
    return status ? status : bml_classify__check_names(t, why);
}
#endif

static int bml_classify__read_fits(bml_classify_table **table, const char *path, char *why) {
#ifdef BML_CLASSIFY_USE_CFITSIO
    bml_classify_table *t = (bml_classify_table *)bml_classify__alloc(1, sizeof *t, 1);
    int status;
    if (!t) return bml_classify__no_memory(why);
    snprintf(t->name, sizeof t->name, "%.250s", path);
    status = bml_classify__fits(t, path, why);
    if (status)
        bml_classify_table_free(t);
    else
        *table = t;
    return status;
#else
    (void)table;
    return bml_classify__fail(why, BML_CLASSIFY_NO_FITS,
                              "%.200s: a FITS file, and compiled without cfitsio (Debian: "
                              "libcfitsio-dev)",
                              path);
#endif
}

BML_CLASSIFY_DEF int bml_classify_table_read(bml_classify_table **table, const char *path, char *why) {
    char *data = NULL;
    size_t size = 0;
    size_t room = 0;
    size_t got = 0;
    if (table) *table = NULL;
    if (!table || !path) return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "table or path is missing");
    FILE *f = fopen(path, "rb");
    if (!f) return bml_classify__fail(why, BML_CLASSIFY_NO_FILE, "%.200s: cannot be opened", path);
    char *more;
    do {
        room = room ? 2 * room : 1 << 16;
        more = room < INT_MAX ? (char *)BML_CLASSIFY_REALLOC(data, room) : NULL;
        if (!more) break;
        data = more;
        got = fread(data + size, 1, room - size, f);
        size += got;
    } while (size == room && memcmp(data, "SIMPLE  =", 9));
    int status = !more ? bml_classify__no_memory(why) : BML_CLASSIFY_OK;
    if (!status && ferror(f)) status = bml_classify__fail(why, BML_CLASSIFY_NO_FILE, "%.200s: cannot be read", path);
    fclose(f);
    if (!status && size >= 9 && !memcmp(data, "SIMPLE  =", 9))
        status = bml_classify__read_fits(table, path, why);
    else if (!status && size >= 2 && !memcmp(data, "\x1f\x8b", 2))
        status =
            bml_classify__fail(why, BML_CLASSIFY_BAD_TABLE, "%.200s: compressed; unpack it with gunzip first", path);
    else if (!status)
        status = bml_classify_table_parse(table, data, size, path, why);
    BML_CLASSIFY_FREE(data);
    return status;
}

BML_CLASSIFY_DEF int bml_classify_table_find(const bml_classify_table *table, const char *name) {
    for (int i = 0; table && name && i < table->n_columns; i++)
        if (bml_classify__same(table->column[i].name, name)) return i;
    return -1;
}

/* The number in a cell; 0 when there is none. */
static int bml_classify__number(double *value, const char *s) {
    *value = BML_CLASSIFY__NAN;
    if (!*s || !strcmp(s, "--") || bml_classify__same(s, "nan") || bml_classify__same(s, "null") ||
        bml_classify__same(s, "none"))
        return 1;
    if (strpbrk(s, "xXpP(")) return 0; /* strtod would take hexadecimal and nan(...) */
    char *end;
    *value = strtod(s, &end);
    return end != s && !*end;
}

BML_CLASSIFY_DEF int bml_classify_table_numbers(double *out, const bml_classify_table *table, int column, char *why) {
    if (!out || !table || column < 0 || column >= table->n_columns)
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "no column %d", column + 1);
    const bml_classify_column *c = &table->column[column];
    for (int i = 0; i < table->n_rows; i++) {
        if (c->number)
            out[i] = c->number[i];
        else if (!bml_classify__number(&out[i], c->text[i]))
            return bml_classify__fail(why, BML_CLASSIFY_BAD_VALUE, "%.200s:%ld: %.60s: '%.60s' is not a number",
                                      table->name, table->line[i], c->name, c->text[i]);
    }
    return BML_CLASSIFY_OK;
}

/* A text of any column: a number becomes "" (names and classes are texts in every catalogue). */
static const char *bml_classify__text(const bml_classify_table *t, int column, int row) {
    return column >= 0 && t->column[column].text ? t->column[column].text[row] : "";
}

/* >> catalogues

   One pass over the table by column names, one over the values to count what the rules will meet. */

typedef struct bml_classify__class {
    const char *label;
    int kind;
} bml_classify__class;
static const bml_classify__class bml_classify__classes[] = {
    {"", BML_CLASSIFY_BLANK},         {"unk", BML_CLASSIFY_UNKNOWN},   {"bcu", BML_CLASSIFY_BCU},
    {"bll", BML_CLASSIFY_BLL},        {"fsrq", BML_CLASSIFY_FSRQ},     {"rdg", BML_CLASSIFY_OTHER_AGN},
    {"agn", BML_CLASSIFY_OTHER_AGN},  {"css", BML_CLASSIFY_OTHER_AGN}, {"nlsy1", BML_CLASSIFY_OTHER_AGN},
    {"ssrq", BML_CLASSIFY_OTHER_AGN}, {"sey", BML_CLASSIFY_OTHER_AGN}, {"psr", BML_CLASSIFY_PSR},
    {"msp", BML_CLASSIFY_PSR},        {"pwn", BML_CLASSIFY_OTHER},     {"snr", BML_CLASSIFY_OTHER},
    {"spp", BML_CLASSIFY_OTHER},      {"glc", BML_CLASSIFY_OTHER},     {"hmb", BML_CLASSIFY_OTHER},
    {"lmb", BML_CLASSIFY_OTHER},      {"bin", BML_CLASSIFY_OTHER},     {"nov", BML_CLASSIFY_OTHER},
    {"sfr", BML_CLASSIFY_OTHER},      {"gal", BML_CLASSIFY_OTHER},     {"sbg", BML_CLASSIFY_OTHER},
    {"gc", BML_CLASSIFY_OTHER}};

BML_CLASSIFY_DEF int bml_classify_kind(const char *label) {
    for (size_t i = 0; label && i < sizeof bml_classify__classes / sizeof *bml_classify__classes; i++)
        if (bml_classify__same(label, bml_classify__classes[i].label)) return bml_classify__classes[i].kind;
    return -1;
}

BML_CLASSIFY_DEF void bml_classify_catalog_free(bml_classify_catalog *c) {
    if (!c) return;
    BML_CLASSIFY_FREE(c->name);
    BML_CLASSIFY_FREE(c->label);
    BML_CLASSIFY_FREE(c->association);
    BML_CLASSIFY_FREE(c->kind);
    BML_CLASSIFY_FREE(c->pulsar);
    BML_CLASSIFY_FREE(c->release);
    BML_CLASSIFY_FREE(c->lon);
    BML_CLASSIFY_FREE(c->lat);
    BML_CLASSIFY_FREE(c->flux);
    BML_CLASSIFY_FREE(c->flux_error);
    BML_CLASSIFY_FREE(c->sqrt_ts);
    BML_CLASSIFY_FREE(c->history);
    BML_CLASSIFY_FREE(c->history_error);
    BML_CLASSIFY_FREE(c->variability);
    BML_CLASSIFY_FREE(c->curvature);
    BML_CLASSIFY_FREE(c);
}

/* How many columns PREFIX_1, PREFIX_2, ... there are. */
static int bml_classify__count_columns(const bml_classify_table *t, const char *prefix) {
    char name[64];
    int n = 0;
    do
        snprintf(name, sizeof name, "%s_%d", prefix, n + 1);
    while (bml_classify_table_find(t, name) >= 0 && ++n < 1000);
    return n;
}

static int bml_classify__catalog_alloc(bml_classify_catalog *c, const bml_classify_table *t) {
    size_t n = (size_t)t->n_rows;
    c->n = t->n_rows;
    c->n_bands = bml_classify__count_columns(t, "Flux_Band");
    c->n_years = bml_classify__count_columns(t, "Flux_History");
    c->name = (char(*)[BML_CLASSIFY_NAME])bml_classify__alloc(n, sizeof *c->name, 1);
    c->label = (char(*)[BML_CLASSIFY_NAME])bml_classify__alloc(n, sizeof *c->label, 1);
    c->association = (char(*)[BML_CLASSIFY_NAME])bml_classify__alloc(n, sizeof *c->association, 1);
    c->kind = bml_classify__ints(c->n);
    c->pulsar = bml_classify__ints(c->n);
    c->release = bml_classify__ints(c->n);
    c->lon = bml_classify__doubles(c->n, 1);
    c->lat = bml_classify__doubles(c->n, 1);
    c->flux = bml_classify__doubles(c->n, c->n_bands);
    c->flux_error = bml_classify__doubles(c->n, c->n_bands);
    c->sqrt_ts = bml_classify__doubles(c->n, c->n_bands);
    c->history = bml_classify__doubles(c->n, c->n_years);
    c->history_error = bml_classify__doubles(c->n, c->n_years);
    c->variability = bml_classify__doubles(c->n, 1);
    c->curvature = bml_classify__doubles(c->n, 1);
    return c->name && c->label && c->association && c->kind && c->pulsar && c->release && c->lon && c->lat && c->flux &&
           c->flux_error && c->sqrt_ts && c->history && c->history_error && c->variability && c->curvature;
}

/* out[n][stride] of column `name`; NaN throughout where it is absent and not needed. */
static int bml_classify__take(double *out, int stride, const bml_classify_table *t, const char *name, int needed,
                              char *why) {
    int column = bml_classify_table_find(t, name);
    int status = BML_CLASSIFY_OK;
    if (column < 0 && needed)
        return bml_classify__fail(why, BML_CLASSIFY_NO_COLUMN, "%.200s: no column %.60s", t->name, name);
    double *value = bml_classify__doubles(t->n_rows, 1);
    if (!value) return bml_classify__no_memory(why);
    if (column >= 0) status = bml_classify_table_numbers(value, t, column, why);
    for (int i = 0; i < t->n_rows; i++)
        out[(size_t)i * (size_t)stride] = column >= 0 ? value[i] : BML_CLASSIFY__NAN;
    BML_CLASSIFY_FREE(value);
    return status;
}

/* PREFIX_1 ... PREFIX_n into out[rows][n]; for errors (lower, upper in turn) the upper ones. */
static int bml_classify__take_all(double *out, int n, const bml_classify_table *t, const char *prefix, int errors,
                                  int needed, char *why) {
    char name[64];
    int status = BML_CLASSIFY_OK;
    if (!n && needed)
        return bml_classify__fail(why, BML_CLASSIFY_NO_COLUMN, "%.200s: no column %.50s_1", t->name, prefix);
    for (int k = 0; k < n && !status; k++) {
        snprintf(name, sizeof name, "%s_%d", prefix, errors ? 2 * k + 2 : k + 1);
        status = bml_classify__take(out + k, n, t, name, needed, why);
    }
    return status;
}

/* Names, classes, and what identifies a row. */
static int bml_classify__catalog_names(bml_classify_catalog *c, const bml_classify_table *t, char *why) {
    int name = bml_classify_table_find(t, "Source_Name");
    int label = bml_classify_table_find(t, "CLASS1");
    int association = bml_classify_table_find(t, "ASSOC1");
    if (label < 0) label = bml_classify_table_find(t, "CLASS");
    if (name < 0 || label < 0)
        return bml_classify__fail(why, BML_CLASSIFY_NO_COLUMN, "%.200s: no column %s", t->name,
                                  name < 0 ? "Source_Name" : "CLASS1");
    for (int i = 0; i < c->n; i++) {
        snprintf(c->name[i], sizeof *c->name, "%.47s", bml_classify__text(t, name, i));
        snprintf(c->label[i], sizeof *c->label, "%.47s", bml_classify__text(t, label, i));
        snprintf(c->association[i], sizeof *c->association, "%.47s", bml_classify__text(t, association, i));
        c->kind[i] = bml_classify_kind(c->label[i]);
        if (c->kind[i] < 0)
            return bml_classify__fail(why, BML_CLASSIFY_BAD_LABEL, "%.200s:%ld: %.60s: no class is called '%.40s'",
                                      t->name, t->line[i], t->column[label].name, c->label[i]);
        if (!*c->name[i])
            return bml_classify__fail(why, BML_CLASSIFY_BAD_VALUE, "%.200s:%ld: Source_Name is empty", t->name,
                                      t->line[i]);
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

/* Rows by name[n][BML_CLASSIFY_NAME], sorted; NULL without memory. */
static bml_classify__named *bml_classify__sorted(char (*name)[BML_CLASSIFY_NAME], int n) {
    bml_classify__named *s = (bml_classify__named *)bml_classify__alloc((size_t)n, sizeof *s, 1);
    if (!s) return NULL;
    for (int i = 0; i < n; i++) {
        s[i].name = name[i];
        s[i].row = i;
    }
    qsort(s, (size_t)n, sizeof *s, bml_classify__by_name);
    return s;
}

/* The row of that name, or -1. */
static int bml_classify__lookup(const bml_classify__named *sorted, int n, const char *name) {
    int lo = 0;
    int hi = n;
    while (lo < hi) {
        int middle = (lo + hi) / 2;
        if (strcmp(sorted[middle].name, name) < 0)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo < n && !strcmp(sorted[lo].name, name) ? sorted[lo].row : -1;
}

static int bml_classify__no_duplicates(const bml_classify_catalog *c, const bml_classify_table *t, char *why) {
    bml_classify__named *s = bml_classify__sorted(c->name, c->n);
    int status = BML_CLASSIFY_OK;
    if (!s) return bml_classify__no_memory(why);
    for (int i = 1; i < c->n && !status; i++)
        if (!strcmp(s[i].name, s[i - 1].name))
            status = bml_classify__fail(why, BML_CLASSIFY_DUPLICATE,
                                        "%.200s:%ld: Source_Name: '%.40s' stands in line %ld too", t->name,
                                        t->line[s[i].row], s[i].name, t->line[s[i - 1].row]);
    BML_CLASSIFY_FREE(s);
    return status;
}

/* Counts value[n]; lower[n] errors or NULL: NaN there is an upper limit. Infinite values become NaN: missing. */
static void bml_classify__count(bml_classify_report *r, const char *what, const char *rule, double *value,
                                const double *lower, size_t n) {
    memset(r, 0, sizeof *r);
    r->what = what;
    r->rule = rule;
    r->n = (long)n;
    for (size_t i = 0; i < n; i++) {
        r->n_nan += isnan(value[i]) != 0;
        r->n_infinite += isinf(value[i]) != 0;
        r->n_zero += value[i] == 0;
        r->n_negative += value[i] < 0 && !isinf(value[i]);
        r->n_limits += lower && isnan(lower[i]) && isfinite(value[i]);
        if (isinf(value[i])) value[i] = BML_CLASSIFY__NAN;
    }
}

/* lower[n][k]: the lower errors PREFIX_1, PREFIX_3, ...; the report needs them, the features do not. */
static int bml_classify__report_flux(bml_classify_report *r, const char *what, double *value, const char *prefix, int k,
                                     const bml_classify_table *t, char *why) {
    double *lower = bml_classify__doubles(t->n_rows, k);
    char name[64];
    int given = 1;
    int status = BML_CLASSIFY_OK;
    if (!lower) return bml_classify__no_memory(why);
    for (int i = 0; i < k && !status; i++) {
        snprintf(name, sizeof name, "%s_%d", prefix, 2 * i + 1);
        given = given && bml_classify_table_find(t, name) >= 0;
        status = bml_classify__take(lower + i, k, t, name, 0, why);
    }
    if (!status)
        bml_classify__count(r, what, "NaN and infinite: missing; zero, negative, limits: kept, floored in logarithms",
                            value, given ? lower : NULL, (size_t)t->n_rows * (size_t)k);
    BML_CLASSIFY_FREE(lower);
    return status;
}

static int bml_classify__catalog_values(bml_classify_catalog *c, const bml_classify_table *t, char *why) {
    static const char missing[] = "NaN and infinite: missing";
    size_t bands = (size_t)c->n * (size_t)c->n_bands;
    size_t years = (size_t)c->n * (size_t)c->n_years;
    double *release = bml_classify__doubles(c->n, 1);
    int s = release ? bml_classify__take(c->lat, 1, t, "GLAT", 1, why) : bml_classify__no_memory(why);
    if (!s) s = bml_classify__take(c->lon, 1, t, "GLON", 0, why);
    if (!s) s = bml_classify__take_all(c->flux, c->n_bands, t, "Flux_Band", 0, 1, why);
    if (!s) s = bml_classify__take_all(c->history, c->n_years, t, "Flux_History", 0, 1, why);
    if (!s) s = bml_classify__take_all(c->flux_error, c->n_bands, t, "Unc_Flux_Band", 1, 0, why);
    if (!s) s = bml_classify__take_all(c->history_error, c->n_years, t, "Unc_Flux_History", 1, 0, why);
    if (!s) s = bml_classify__take_all(c->sqrt_ts, c->n_bands, t, "Sqrt_TS_Band", 0, 0, why);
    if (!s) s = bml_classify__take(c->variability, 1, t, "Variability_Index", 0, why);
    if (!s) s = bml_classify__take(c->curvature, 1, t, "LP_SigCurv", 0, why);
    if (!s) s = bml_classify__take(release, 1, t, "DataRelease", 0, why);
    for (int i = 0; i < c->n && !s; i++) {
        c->release[i] = release[i] > 0 && release[i] < 1000 ? (int)release[i] : 0;
        if (!(c->lat[i] >= -90 && c->lat[i] <= 90))
            s = bml_classify__fail(why, BML_CLASSIFY_BAD_VALUE, "%.200s:%ld: GLAT: %g is no latitude", t->name,
                                   t->line[i], c->lat[i]);
    }
    if (!s) s = bml_classify__report_flux(&c->report[0], "Flux_Band", c->flux, "Unc_Flux_Band", c->n_bands, t, why);
    if (!s)
        s = bml_classify__report_flux(&c->report[1], "Flux_History", c->history, "Unc_Flux_History", c->n_years, t,
                                      why);
    if (!s) {
        bml_classify__count(&c->report[2], "Unc_Flux_Band (upper)", missing, c->flux_error, NULL, bands);
        bml_classify__count(&c->report[3], "Unc_Flux_History (upper)", missing, c->history_error, NULL, years);
        bml_classify__count(&c->report[4], "Sqrt_TS_Band", missing, c->sqrt_ts, NULL, bands);
    }
    BML_CLASSIFY_FREE(release);
    return s;
}

BML_CLASSIFY_DEF int bml_classify_catalog_create(bml_classify_catalog **catalog, const bml_classify_table *table,
                                                 char *why) {
    if (catalog) *catalog = NULL;
    if (!catalog || !table || table->n_rows < 1)
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "catalog or table is missing");
    bml_classify_catalog *c;
    c = (bml_classify_catalog *)bml_classify__alloc(1, sizeof *c, 1);
    int status = c && bml_classify__catalog_alloc(c, table) ? BML_CLASSIFY_OK : bml_classify__no_memory(why);
    if (!status) status = bml_classify__catalog_names(c, table, why);
    if (!status) status = bml_classify__no_duplicates(c, table, why);
    if (!status) status = bml_classify__catalog_values(c, table, why);
    if (status)
        bml_classify_catalog_free(c);
    else
        *catalog = c;
    return status;
}

/* young or millisecond, by is_msp[n] and P_ms[n], NaN where unknown; 0 when neither says. */
static int bml_classify__pulsar_kind(double is_msp, double period) {
    static const double longest = 30; /* [ms] */
    if (is_msp == 0 || is_msp == 1) return is_msp > 0 ? BML_CLASSIFY_MILLISECOND : BML_CLASSIFY_YOUNG;
    if (period > 0) return period < longest ? BML_CLASSIFY_MILLISECOND : BML_CLASSIFY_YOUNG;
    return BML_CLASSIFY_NO_PULSAR;
}

BML_CLASSIFY_DEF int bml_classify_match_pulsars(int *n_young, int *n_millisecond, bml_classify_catalog *c,
                                                const bml_classify_table *list, char *why) {
    if (!n_young || !n_millisecond || !c || !list)
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "catalog or list is missing");
    int name = bml_classify_table_find(list, "Source_Name");
    int psr = bml_classify_table_find(list, "PSR");
    if ((name < 0 && psr < 0) ||
        (bml_classify_table_find(list, "is_msp") < 0 && bml_classify_table_find(list, "P_ms") < 0))
        return bml_classify__fail(why, BML_CLASSIFY_NO_COLUMN, "%.200s: needs Source_Name or PSR, and is_msp or P_ms",
                                  list->name);
    double *msp = bml_classify__doubles(list->n_rows, 1);
    double *period = bml_classify__doubles(list->n_rows, 1);
    bml_classify__named *by_name = bml_classify__sorted(c->name, c->n);
    bml_classify__named *by_psr = bml_classify__sorted(c->association, c->n);
    int s = msp && period && by_name && by_psr ? BML_CLASSIFY_OK : bml_classify__no_memory(why);
    if (!s) s = bml_classify__take(msp, 1, list, "is_msp", 0, why);
    if (!s) s = bml_classify__take(period, 1, list, "P_ms", 0, why);
    *n_young = *n_millisecond = 0;
    for (int i = 0; i < c->n; i++)
        c->pulsar[i] = BML_CLASSIFY_NO_PULSAR;
    for (int i = 0; i < list->n_rows && !s; i++) {
        const char *own = bml_classify__text(list, name, i);
        const char *other = bml_classify__text(list, psr, i);
        int row = *own ? bml_classify__lookup(by_name, c->n, own) : -1;
        if (row < 0 && *other) row = bml_classify__lookup(by_psr, c->n, other);
        if (row < 0 || c->kind[row] != BML_CLASSIFY_PSR || c->pulsar[row]) continue;
        c->pulsar[row] = bml_classify__pulsar_kind(msp[i], period[i]);
        *n_young += c->pulsar[row] == BML_CLASSIFY_YOUNG;
        *n_millisecond += c->pulsar[row] == BML_CLASSIFY_MILLISECOND;
    }
    BML_CLASSIFY_FREE(msp);
    BML_CLASSIFY_FREE(period);
    BML_CLASSIFY_FREE(by_name);
    BML_CLASSIFY_FREE(by_psr);
    return s;
}

/* >> data and features */

BML_CLASSIFY_DEF void bml_classify_data_free(bml_classify_data *d) {
    if (!d) return;
    BML_CLASSIFY_FREE(d->x);
    BML_CLASSIFY_FREE(d->y);
    BML_CLASSIFY_FREE(d->source);
    BML_CLASSIFY_FREE(d->group);
    BML_CLASSIFY_FREE(d->feature);
    BML_CLASSIFY_FREE(d->class_name);
    BML_CLASSIFY_FREE(d);
}

static bml_classify_data *bml_classify__data_alloc(int n, int d, int n_class) {
    bml_classify_data *a = (bml_classify_data *)bml_classify__alloc(1, sizeof *a, 1);
    if (!a) return NULL;
    a->n = n;
    a->d = d;
    a->n_class = n_class;
    a->x = bml_classify__doubles(n, d);
    a->y = bml_classify__ints(n);
    a->source = bml_classify__ints(n);
    a->group = bml_classify__ints(d);
    a->feature = (char(*)[BML_CLASSIFY_NAME])bml_classify__alloc((size_t)d, sizeof *a->feature, 1);
    a->class_name = (char(*)[BML_CLASSIFY_NAME])bml_classify__alloc((size_t)n_class, sizeof *a->class_name, 1);
    if (a->x && a->y && a->source && a->group && a->feature && a->class_name) return a;
    bml_classify_data_free(a);
    return NULL;
}

/* 0 or 1 for the labelled sources of a task, -1 for its candidates, -2 for the others. */
static int bml_classify__task_label(const bml_classify_catalog *c, int i, int task) {
    int kind = c->kind[i];
    int blank = kind == BML_CLASSIFY_BLANK || kind == BML_CLASSIFY_UNKNOWN;
    if (task == BML_CLASSIFY_BLL_FSRQ)
        return kind == BML_CLASSIFY_BLL ? 0 : kind == BML_CLASSIFY_FSRQ ? 1 : kind == BML_CLASSIFY_BCU ? -1 : -2;
    if (blank) return -1;
    if (task == BML_CLASSIFY_YNG_MSP) return c->pulsar[i] ? c->pulsar[i] - BML_CLASSIFY_YOUNG : -2;
    if (kind == BML_CLASSIFY_PSR) return 1;
    return kind >= BML_CLASSIFY_BCU && kind <= BML_CLASSIFY_OTHER_AGN ? 0 : -2;
}

/* Where features are being written: one column after the other, names only when x is NULL (the counting pass). */
typedef struct bml_classify__maker {
    bml_classify_data *data; /* NULL: count */
    const bml_classify_catalog *c;
    double *band_floor, year_floor; /* [n_bands], and as much scratch twice; flux below which logarithms stop */
    int d;
} bml_classify__maker;

/* Begins a column; out[n * d] strided, NULL in the counting pass. */
static double *bml_classify__new_column(bml_classify__maker *m, int group, const char *what, int number) {
    int k = m->d++;
    if (!m->data) return NULL;
    m->data->group[k] = group;
    if (number)
        snprintf(m->data->feature[k], BML_CLASSIFY_NAME, "%.30s_%d", what, number);
    else
        snprintf(m->data->feature[k], BML_CLASSIFY_NAME, "%.30s", what);
    return m->data->x + k;
}

/* A tenth of the median upper error of value [n][k]: of column j, or of all columns (j < 0). Without errors, a
   thousandth of the median flux above zero. */
static double bml_classify__floor(const double *value, const double *error, int n, int k, int j, double *scratch) {
    int m = 0;
    for (int i = 0; i < n; i++)
        for (int b = j < 0 ? 0 : j; b < (j < 0 ? k : j + 1); b++)
            if (error[i * k + b] > 0) scratch[m++] = error[i * k + b];
    if (m) return 0.1 * bml_classify__median(scratch, m);
    for (int i = 0; i < n; i++)
        for (int b = j < 0 ? 0 : j; b < (j < 0 ? k : j + 1); b++)
            if (value[i * k + b] > 0) scratch[m++] = value[i * k + b];
    return m ? 1e-3 * bml_classify__median(scratch, m) : DBL_MIN;
}

static double bml_classify__log(double value, double floor_at) {
    return isnan(value) ? value : log10(value > floor_at ? value : floor_at);
}

/* Fluxes of bands or years, as they stand or as logarithms. */
static void bml_classify__make_fluxes(bml_classify__maker *m, int group, int logarithm) {
    const bml_classify_catalog *c = m->c;
    int energy = group == BML_CLASSIFY_ENERGY;
    int k = energy ? c->n_bands : c->n_years;
    const double *value = energy ? c->flux : c->history;
    for (int b = 0; b < k; b++) {
        double *out = bml_classify__new_column(m, group,
                                               logarithm ? energy ? "log_band" : "log_year"
                                               : energy  ? "raw_band"
                                                         : "raw_year",
                                               b + 1);
        for (int i = 0; out && i < m->data->n; i++) {
            double v = value[m->data->source[i] * k + b];
            out[i * m->data->d] = logarithm ? bml_classify__log(v, energy ? m->band_floor[b] : m->year_floor) : v;
        }
    }
}

/* chi2 of exp(a0 + a1 u + a2 u^2) to f[k] with errors e[k], and the prior's part; n_free numbers of a[3]. Half its
   gradient[3], and the hessian[3][3] of the linearised model, unless gradient is NULL. */
static double bml_classify__parabola(double *gradient, double *hessian, const double *a, const double *f,
                                     const double *e, int k, int n_free) {
    static const double prior[3] = {0, 1 / 400.0, 1 / 16.0};
    double chi2 = 0;
    double x[3] = {1, 0, 0};
    for (int i = 0; i < 9 && gradient; i++) {
        hessian[i] = 0;
        gradient[i / 3] = 0;
    }
    for (int b = 0; b < k; b++) {
        x[1] = k > 1 ? 2.0 * b / (k - 1) - 1 : 0;
        x[2] = x[1] * x[1];
        double m = exp(a[0] + a[1] * x[1] + a[2] * x[2]) / e[b];
        double r = f[b] / e[b] - m;
        chi2 += r * r;
        for (int i = 0; i < n_free && gradient; i++) {
            gradient[i] -= r * m * x[i];
            for (int j = 0; j <= i; j++)
                hessian[i * n_free + j] += m * x[i] * m * x[j];
        }
    }
    for (int i = 0; i < n_free; i++) {
        chi2 += prior[i] * a[i] * a[i];
        if (gradient) {
            gradient[i] += prior[i] * a[i];
            hessian[i * n_free + i] += prior[i];
        }
    }
    return chi2;
}

/* The least chi2 over n_free numbers of a[3], from where they stand: Levenberg's and Marquardt's steps. */
static double bml_classify__fit_parabola(double *a, const double *f, const double *e, int k, int n_free) {
    double gradient[3];
    double hessian[9];
    double damp[9];
    double next[3] = {0, 0, 0};
    double damping = 1e-2;
    double fall = 1;
    double chi2 = bml_classify__parabola(gradient, hessian, a, f, e, k, n_free);
    for (int round = 0; round < 100 && damping < 1e9 && fall > 1e-9; round++) {
        memcpy(damp, hessian, sizeof damp);
        for (int i = 0; i < n_free; i++)
            damp[i * n_free + i] += damping * (1e-9 + hessian[i * n_free + i]);
        for (int i = 0; i < n_free; i++)
            next[i] = gradient[i];
        if (!bml_classify__cholesky(damp, n_free)) break;
        bml_classify__solve(next, damp, n_free);
        for (int i = 0; i < 3; i++)
            next[i] = i < n_free ? a[i] - (next[i] > 2 ? 2 : next[i] < -2 ? -2 : next[i]) : 0;
        double trial = bml_classify__parabola(NULL, NULL, next, f, e, k, n_free);
        if (trial <= chi2) {
            fall = (chi2 - trial) / (1e-3 + chi2);
            memcpy(a, next, sizeof next);
            chi2 = bml_classify__parabola(gradient, hessian, a, f, e, k, n_free);
            damping /= 4;
        } else
            damping *= 5;
    }
    return chi2;
}

/* q[3]: slope, curvature and what that is worth of fluxes f[k] with errors e[k]; a missing error counts as `error[k]`.
   NaN where a flux is missing. scratch[k]. */
static void bml_classify__spectrum(double *q, const double *f, const double *e, const double *error, int k,
                                   double *scratch) {
    double a[3] = {0, 0, 0};
    double xx = 0;
    for (int b = 0; b < k; b++) {
        double u = k > 1 ? 2.0 * b / (k - 1) - 1 : 0;
        scratch[b] = e[b] > 0 && e[b] < DBL_MAX ? e[b] : error[b];
        double y =
            log(f[b] > 0.3 * scratch[b] ? f[b] : 0.3 * scratch[b]); /* the start: a straight line through these */
        a[0] += y / k;
        a[1] += u * y;
        xx += u * u;
    }
    a[1] = xx > 0 ? a[1] / xx : 0;
    double straight = bml_classify__fit_parabola(a, f, scratch, k, 2);
    straight -= bml_classify__fit_parabola(a, f, scratch, k, 3);
    q[0] = a[1];
    q[1] = a[2];
    q[2] = log10(1 + (straight > 0 ? straight : 0));
    for (int b = 0; b < k; b++)
        if (!isfinite(f[b])) q[0] = q[1] = q[2] = BML_CLASSIFY__NAN;
}

static void bml_classify__make_fit(bml_classify__maker *m) {
    static const char *const name[3] = {"fit_slope", "fit_curvature", "fit_gain"};
    const bml_classify_catalog *c = m->c;
    double q[3];
    double *out[3];
    double *error = m->band_floor + c->n_bands;
    double *scratch = error + c->n_bands;
    for (int j = 0; j < 3; j++)
        out[j] = bml_classify__new_column(m, BML_CLASSIFY_ENERGY, name[j], 0);
    for (int b = 0; b < c->n_bands && m->data; b++)
        error[b] = 10 * m->band_floor[b];
    for (int i = 0; m->data && i < m->data->n; i++) {
        int at = m->data->source[i] * c->n_bands;
        bml_classify__spectrum(q, c->flux + at, c->flux_error + at, error, c->n_bands, scratch);
        for (int j = 0; j < 3; j++)
            out[j][i * m->data->d] = q[j];
    }
}

/* Slopes and curvatures of the log spectrum, and the summed flux. */
static void bml_classify__make_spectrum(bml_classify__maker *m) {
    const bml_classify_catalog *c = m->c;
    int k = c->n_bands;
    double *out;
    double least = 0;
    for (int order = 1; order <= 2; order++)
        for (int b = 0; b + order < k; b++) {
            out = bml_classify__new_column(m, BML_CLASSIFY_ENERGY, order == 1 ? "derived_slope" : "derived_curvature",
                                           b + 1);
            for (int i = 0; out && i < m->data->n; i++) {
                const double *f = c->flux + m->data->source[i] * k + b;
                const double *at = m->band_floor + b;
                double s = bml_classify__log(f[1], at[1]) - bml_classify__log(f[0], at[0]);
                if (order == 2) s = bml_classify__log(f[2], at[2]) - bml_classify__log(f[1], at[1]) - s;
                out[i * m->data->d] = s;
            }
        }
    out = bml_classify__new_column(m, BML_CLASSIFY_ENERGY, "derived_flux", 0);
    for (int b = 0; out && b < k; b++)
        least += m->band_floor[b];
    for (int i = 0; out && i < m->data->n; i++) {
        const double *f = c->flux + m->data->source[i] * k;
        double sum = 0;
        for (int b = 0; b < k; b++)
            sum += f[b];
        out[i * m->data->d] = bml_classify__log(sum, least);
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
    double hi = -DBL_MAX;
    double lo = DBL_MAX;
    double step = 0;
    for (int i = 0; i < k; i++) {
        mean += f[i] / k;
        mean_log += bml_classify__log(f[i], floor_at) / k;
    }
    for (int i = 0; i < k; i++) {
        double g = bml_classify__log(f[i], floor_at);
        var += (f[i] - mean) * (f[i] - mean) / k;
        var_log += (g - mean_log) * (g - mean_log) / k;
        if (e[i] > 0) chi2 += (f[i] - mean) * (f[i] - mean) / (e[i] * e[i]);
        hi = g > hi ? g : hi;
        lo = g < lo ? g : lo;
        if (i) step += fabs(g - bml_classify__log(f[i - 1], floor_at)) / (k - 1);
    }
    double log_mean = bml_classify__log(mean, floor_at);
    q[0] = log_mean;
    q[1] = log10(sqrt(var) / pow(10, log_mean) + 1e-3);
    q[2] = log10(1 + chi2);
    q[3] = hi - log_mean;
    q[4] = lo - log_mean;
    q[5] = sqrt(var_log);
    q[6] = k > 1 ? step : 0;
    for (int i = 0; i < BML_CLASSIFY__N_HISTORY && isnan(mean); i++)
        q[i] = BML_CLASSIFY__NAN;
}

static void bml_classify__make_history(bml_classify__maker *m) {
    static const char *const name[BML_CLASSIFY__N_HISTORY] = {
        "derived_mean",   "derived_scatter",     "derived_chi2", "derived_highest",
        "derived_lowest", "derived_log_scatter", "derived_step"};
    const bml_classify_catalog *c = m->c;
    double q[BML_CLASSIFY__N_HISTORY];
    double *out[BML_CLASSIFY__N_HISTORY];
    for (int k = 0; k < BML_CLASSIFY__N_HISTORY; k++)
        out[k] = bml_classify__new_column(m, BML_CLASSIFY_TIME, name[k], 0);
    for (int i = 0; m->data && i < m->data->n; i++) {
        int at = m->data->source[i] * c->n_years;
        bml_classify__history(q, c->history + at, c->history_error + at, c->n_years, m->year_floor);
        for (int k = 0; k < BML_CLASSIFY__N_HISTORY; k++)
            out[k][i * m->data->d] = q[k];
    }
}

/* log10 of upper errors, and of flux over upper error with a floor of 0.01. */
static void bml_classify__make_errors(bml_classify__maker *m, int group) {
    const bml_classify_catalog *c = m->c;
    int energy = group == BML_CLASSIFY_ENERGY;
    int k = energy ? c->n_bands : c->n_years;
    const double *value = energy ? c->flux : c->history;
    const double *error = energy ? c->flux_error : c->history_error;
    for (int ratio = 0; ratio < 2; ratio++)
        for (int b = 0; b < k; b++) {
            double *out = bml_classify__new_column(m, group,
                                                   ratio    ? energy ? "snr_band" : "snr_year"
                                                   : energy ? "error_band"
                                                            : "error_year",
                                                   b + 1);
            for (int i = 0; out && i < m->data->n; i++) {
                double e = error[m->data->source[i] * k + b];
                double v = value[m->data->source[i] * k + b];
                if (!(e > 0)) e = BML_CLASSIFY__NAN;
                out[i * m->data->d] = ratio ? bml_classify__log(v / e, 0.01) : log10(e);
            }
        }
}

static void bml_classify__make_others(bml_classify__maker *m, int kinds, int inputs) {
    const bml_classify_catalog *c = m->c;
    double *out;
    for (int b = 0; b < c->n_bands && (kinds & BML_CLASSIFY_SQRT_TS) && (inputs & BML_CLASSIFY_ENERGY); b++) {
        out = bml_classify__new_column(m, BML_CLASSIFY_ENERGY, "sqrt_ts", b + 1);
        for (int i = 0; out && i < m->data->n; i++) {
            double v = c->sqrt_ts[m->data->source[i] * c->n_bands + b];
            out[i * m->data->d] = v >= 0 ? log10(1 + v) : v < 0 ? 0 : BML_CLASSIFY__NAN;
        }
    }
    if (kinds & (BML_CLASSIFY_LATITUDE | BML_CLASSIFY_SIGNED_LATITUDE)) {
        int sign = (kinds & BML_CLASSIFY_SIGNED_LATITUDE) != 0;
        out = bml_classify__new_column(m, BML_CLASSIFY_PLACE, sign ? "latitude" : "abs_latitude", 0);
        for (int i = 0; out && i < m->data->n; i++) {
            double b_deg = c->lat[m->data->source[i]];
            out[i * m->data->d] = sign ? b_deg : fabs(b_deg);
        }
    }
}

static void bml_classify__make_features(bml_classify__maker *m, int kinds, int inputs) {
    int energy = inputs & BML_CLASSIFY_ENERGY;
    int time = inputs & BML_CLASSIFY_TIME;
    if (energy && (kinds & BML_CLASSIFY_RAW)) bml_classify__make_fluxes(m, BML_CLASSIFY_ENERGY, 0);
    if (time && (kinds & BML_CLASSIFY_RAW)) bml_classify__make_fluxes(m, BML_CLASSIFY_TIME, 0);
    if (energy && (kinds & BML_CLASSIFY_LOG)) bml_classify__make_fluxes(m, BML_CLASSIFY_ENERGY, 1);
    if (time && (kinds & BML_CLASSIFY_LOG)) bml_classify__make_fluxes(m, BML_CLASSIFY_TIME, 1);
    if (energy && (kinds & BML_CLASSIFY_DERIVED)) bml_classify__make_spectrum(m);
    if (energy && (kinds & BML_CLASSIFY_DERIVED)) bml_classify__make_fit(m);
    if (time && (kinds & BML_CLASSIFY_DERIVED)) bml_classify__make_history(m);
    if (energy && (kinds & BML_CLASSIFY_ERRORS)) bml_classify__make_errors(m, BML_CLASSIFY_ENERGY);
    if (time && (kinds & BML_CLASSIFY_ERRORS)) bml_classify__make_errors(m, BML_CLASSIFY_TIME);
    bml_classify__make_others(m, kinds, inputs);
}

/* Both classes are there. */
static int bml_classify__check_classes(const int *y, int n, int n_class, const char *what, char *why) {
    int first = -1;
    for (int i = 0; i < n; i++) {
        if (y[i] < 0) continue;
        if (y[i] >= n_class)
            return bml_classify__fail(why, BML_CLASSIFY_BAD_LABEL, "row %d: class %d of %d", i + 1, y[i], n_class);
        if (first >= 0 && y[i] != first) return BML_CLASSIFY_OK;
        first = y[i];
    }
    return bml_classify__fail(why, BML_CLASSIFY_ONE_CLASS, "%.200s: %s", what,
                              first < 0 ? "no row has a label" : "all labelled rows are of one class");
}

static int bml_classify__fill_from_catalog(bml_classify_data *data, bml_classify__maker *m, int task, int kinds,
                                           int inputs) {
    static const char *const name[3][2] = {{"AGN", "PSR"}, {"BLL", "FSRQ"}, {"YNG", "MSP"}};
    const bml_classify_catalog *c = m->c;
    size_t most = (size_t)(c->n_bands > c->n_years ? c->n_bands : c->n_years);
    double *scratch = (double *)bml_classify__alloc((size_t)c->n, most, sizeof *scratch);
    int n = 0;
    m->band_floor = bml_classify__doubles(c->n_bands, 3);
    if (!scratch || !m->band_floor) {
        BML_CLASSIFY_FREE(scratch);
        return BML_CLASSIFY_NO_MEMORY;
    }
    for (int b = 0; b < 2; b++)
        snprintf(data->class_name[b], BML_CLASSIFY_NAME, "%s", name[task][b]);
    for (int i = 0; i < c->n; i++) {
        int y = bml_classify__task_label(c, i, task);
        if (y < -1) continue;
        data->y[n] = y;
        data->source[n++] = i;
    }
    for (int b = 0; b < c->n_bands; b++)
        m->band_floor[b] = bml_classify__floor(c->flux, c->flux_error, c->n, c->n_bands, b, scratch);
    m->year_floor = bml_classify__floor(c->history, c->history_error, c->n, c->n_years, -1, scratch);
    m->data = data;
    m->d = 0;
    bml_classify__make_features(m, kinds, inputs);
    BML_CLASSIFY_FREE(scratch);
    return BML_CLASSIFY_OK;
}

BML_CLASSIFY_DEF int bml_classify_data_from_catalog(bml_classify_data **data, const bml_classify_catalog *catalog,
                                                    const bml_classify_features *features, char *why) {
    int n = 0;
    if (data) *data = NULL;
    if (!data || !catalog || !features || features->task < 0 || features->task > BML_CLASSIFY_YNG_MSP ||
        features->kinds < 0 || features->kinds > 127 || features->inputs < 0 || features->inputs > 3)
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "no such task, kind of features or inputs");
    int kinds = features->kinds ? features->kinds : BML_CLASSIFY_RAW;
    int inputs = features->inputs ? features->inputs : BML_CLASSIFY_ENERGY | BML_CLASSIFY_TIME;
    bml_classify__maker m;
    memset(&m, 0, sizeof m);
    m.c = catalog;
    bml_classify__make_features(&m, kinds, inputs); /* counts */
    for (int i = 0; i < catalog->n; i++)
        n += bml_classify__task_label(catalog, i, features->task) >= -1;
    bml_classify_data *d = bml_classify__data_alloc(n, m.d, 2);
    int status = d ? bml_classify__fill_from_catalog(d, &m, features->task, kinds, inputs) : BML_CLASSIFY_NO_MEMORY;
    if (status)
        bml_classify__no_memory(why);
    else
        status = bml_classify__check_classes(d->y, d->n, 2, "this catalogue and task", why);
    BML_CLASSIFY_FREE(m.band_floor);
    if (status)
        bml_classify_data_free(d);
    else
        *data = d;
    return status;
}

enum { BML_CLASSIFY__MAX_CLASSES = 32 };

static int bml_classify__by_text(const void *a, const void *b) {
    return strcmp((const char *)a, (const char *)b);
}

/* The distinct texts of a column in order; their number, or a status. */
static int bml_classify__distinct(char (*name)[BML_CLASSIFY_NAME], const bml_classify_table *t, int column, char *why) {
    int k;
    int n = 0;
    for (int i = 0; i < t->n_rows; i++) {
        char label[BML_CLASSIFY_NAME];
        if (t->column[column].number && isnan(t->column[column].number[i]))
            label[0] = 0;
        else if (t->column[column].number)
            snprintf(label, sizeof label, "%g", t->column[column].number[i]);
        else
            snprintf(label, sizeof label, "%.47s", t->column[column].text[i]);
        if (!*label) continue;
        for (k = 0; k < n && strcmp(label, name[k]); k++)
            continue;
        if (k < n) continue;
        if (n == BML_CLASSIFY__MAX_CLASSES)
            return bml_classify__fail(why, BML_CLASSIFY_BAD_LABEL,
                                      "%.200s:%ld: %.60s: '%.47s' is class number %d: is this a "
                                      "column of classes?",
                                      t->name, t->line[i], t->column[column].name, label, n + 1);
        memcpy(name[n++], label, sizeof label);
    }
    qsort(name, (size_t)n, sizeof *name, bml_classify__by_text);
    return n;
}

/* One feature: column k of the data from a column of the table. */
static int bml_classify__fill_column(bml_classify_data *d, int k, const bml_classify_table *t, int column, char *why) {
    int any = 0;
    int status = bml_classify__take(d->x + k, d->d, t, t->column[column].name, 1, why);
    snprintf(d->feature[k], BML_CLASSIFY_NAME, "%.47s", t->column[column].name);
    d->group[k] = BML_CLASSIFY_ENERGY;
    for (int i = 0; i < d->n && !status; i++) {
        double *v = &d->x[(size_t)i * (size_t)d->d + (size_t)k];
        if (isinf(*v)) *v = BML_CLASSIFY__NAN;
        any |= !isnan(*v);
    }
    if (status || any) return status;
    return bml_classify__fail(why, BML_CLASSIFY_EMPTY_COLUMN, "%.200s: column %d, '%.60s', holds no number", t->name,
                              column + 1, t->column[column].name);
}

BML_CLASSIFY_DEF int bml_classify_data_from_table(bml_classify_data **data, const bml_classify_table *t,
                                                  const char *label, char *why) {
    char name[BML_CLASSIFY__MAX_CLASSES][BML_CLASSIFY_NAME];
    int status = BML_CLASSIFY_OK;
    if (data) *data = NULL;
    if (!data || !t || !label)
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "data, table or label is missing");
    int at = bml_classify_table_find(t, label);
    if (at < 0 || t->n_columns < 2)
        return bml_classify__fail(why, BML_CLASSIFY_NO_COLUMN, "%.200s: no column '%.60s' of labels beside others",
                                  t->name, label);
    int n_class = bml_classify__distinct(name, t, at, why);
    if (n_class < 0) return n_class;
    if (n_class < 2)
        return bml_classify__fail(why, BML_CLASSIFY_ONE_CLASS, "%.200s: %.60s: %s", t->name, label,
                                  n_class ? "all rows are of one class" : "no row has a label");
    bml_classify_data *d = bml_classify__data_alloc(t->n_rows, t->n_columns - 1, n_class);
    if (!d) return bml_classify__no_memory(why);
    memcpy(d->class_name, name, (size_t)n_class * sizeof *name);
    int i;
    int k;
    for (i = 0; i < d->n; i++) {
        char text[BML_CLASSIFY_NAME];
        if (t->column[at].number)
            snprintf(text, sizeof text, "%g", t->column[at].number[i]);
        else
            snprintf(text, sizeof text, "%.47s", t->column[at].text[i]);
        d->source[i] = i;
        d->y[i] = -1;
        for (k = 0; k < n_class; k++)
            if (!strcmp(text, name[k])) d->y[i] = k;
    }
    for (k = 0, i = 0; k < t->n_columns && !status; k++)
        if (k != at) status = bml_classify__fill_column(d, i++, t, k, why);
    if (status)
        bml_classify_data_free(d);
    else
        *data = d;
    return status;
}

/* Whether `name` begins with one of the words of "a|b|c". */
static int bml_classify__begins(const char *name, const char *prefixes) {
    while (prefixes) {
        size_t n = strcspn(prefixes, "|");
        if (n && !strncmp(name, prefixes, n)) return 1;
        prefixes = prefixes[n] ? prefixes + n + 1 : NULL;
    }
    return 0;
}

BML_CLASSIFY_DEF void bml_classify_data_columns(int *columns, int *n_columns, const bml_classify_data *data, int groups,
                                                const char *prefixes) {
    int n = 0;
    for (int k = 0; k < data->d; k++) {
        if (data->group && !(data->group[k] & groups)) continue;
        if (prefixes && !(data->feature && bml_classify__begins(data->feature[k], prefixes))) continue;
        columns[n++] = k;
    }
    *n_columns = n;
}

/* >> splits */

/* Rows of each class in random order, class after class: order[n], start[n_class + 1]. rows = NULL: 0 ... n-1. */
static int bml_classify__by_class(int *order, int *start, const bml_classify_data *data, const int *rows, int n,
                                  uint64_t seed) {
    bml_classify_rng rng;
    int m = 0;
    bml_classify_rng_init(&rng, seed, 0x5711u);
    for (int k = 0; k < data->n_class; k++) {
        start[k] = m;
        for (int i = 0; i < n; i++)
            if (data->y[rows ? rows[i] : i] == k) order[m++] = i;
        bml_classify__shuffle(order + start[k], m - start[k], &rng);
    }
    start[data->n_class] = m;
    return m;
}

static int bml_classify__check_data(const bml_classify_data *data, char *why) {
    if (!data || !data->x || !data->y || data->n < 1 || data->d < 1 || data->n_class < 2 ||
        data->n_class > BML_CLASSIFY__MAX_CLASSES)
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "data: needs rows, features and 2 to %d classes",
                                  (int)BML_CLASSIFY__MAX_CLASSES);
    return BML_CLASSIFY_OK;
}

BML_CLASSIFY_DEF int bml_classify_split(int *rows, int *n_train, int *n_test, const bml_classify_data *data,
                                        double fraction, uint64_t seed, char *why) {
    int start[BML_CLASSIFY__MAX_CLASSES + 1];
    int a = 0;
    int status = bml_classify__check_data(data, why);
    if (!status) status = bml_classify__check_classes(data->y, data->n, data->n_class, "split", why);
    if (status) return status;
    if (!rows || !n_train || !n_test || !(fraction > 0 && fraction < 1))
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "split: the fraction must lie between 0 and 1");
    int *order = bml_classify__ints(data->n);
    if (!order) return bml_classify__no_memory(why);
    int b = bml_classify__by_class(order, start, data, NULL, data->n, seed);
    for (int k = 0; k < data->n_class && !status; k++) {
        int m = start[k + 1] - start[k];
        int train = (int)floor(fraction * m + 0.5);
        if (m > 0 && (train < 1 || train == m))
            status = bml_classify__fail(why, BML_CLASSIFY_TOO_FEW, "split: %d rows of class %d cannot be parted", m, k);
        for (int i = 0; i < m; i++) {
            if (i < train)
                rows[a++] = order[start[k] + i];
            else
                rows[--b] = order[start[k] + i];
        }
    }
    *n_train = a;
    *n_test = start[data->n_class] - a;
    bml_classify_rng rng;
    bml_classify_rng_init(&rng, seed, 0x5712u);
    bml_classify__shuffle(rows, *n_train, &rng);
    bml_classify__shuffle(rows + a, *n_test, &rng);
    BML_CLASSIFY_FREE(order);
    return status;
}

BML_CLASSIFY_DEF int bml_classify_folds(int *fold, const bml_classify_data *data, const int *rows, int n_rows,
                                        int n_folds, uint64_t seed, char *why) {
    int start[BML_CLASSIFY__MAX_CLASSES + 1];
    int next = 0;
    int classes = 0;
    int status = bml_classify__check_data(data, why);
    if (status) return status;
    if (!rows) n_rows = data->n;
    if (!fold || n_rows < 1 || n_folds < 2)
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "folds: needs rows and 2 folds");
    int *order = bml_classify__ints(n_rows);
    if (!order) return bml_classify__no_memory(why);
    bml_classify__by_class(order, start, data, rows, n_rows, seed);
    for (int i = 0; i < n_rows; i++)
        fold[i] = -1;
    for (int k = 0; k < data->n_class && !status; k++) {
        int m = start[k + 1] - start[k];
        classes += m > 0;
        if (m > 0 && m < n_folds)
            status = bml_classify__fail(why, BML_CLASSIFY_TOO_FEW, "%d rows of class %d for %d folds", m, k, n_folds);
        for (int i = start[k]; i < start[k + 1]; i++)
            fold[order[i]] = next++ % n_folds;
    }
    if (!status && classes < 2)
        status = bml_classify__fail(why, BML_CLASSIFY_ONE_CLASS, "folds: rows of one class only");
    BML_CLASSIFY_FREE(order);
    return status;
}

/* >> what a learner gets and keeps */

typedef struct bml_classify__sample { /* standardised training rows, new ones by SMOTE among them */
    double *z;                        /* [n][d] */
    int *y;                           /* [n] */
    double *w;                        /* [n] weights, mean 1 */
    int n, d, n_class;
    const int *group; /* [d] of the features; may be NULL */
} bml_classify__sample;

typedef struct bml_classify__node {
    int column, left, right;
    double cut;
} bml_classify__node; /* column < 0: a leaf */

typedef struct bml_classify__learner {
    int kind, d, n_class;
    double *beta, *covariance; /* logistic: [n_class-1][d+1], constant last; inverse Hessian of all of them */
    double *centre, *factor;   /* kernel: [n_centres][d]; [n_centres][n_centres], see there; beta has n_centres for d */
    double width, l2;          /* 2 d scale^2; the penalty */
    int n_centres;
    bml_classify__node *node; /* trees: all nodes of all trees */
    double *value;            /* [n_nodes][n_out] answers of the leaves */
    int *root;                /* [n_trees] */
    int n_nodes, room, n_trees, n_out;
    double base[BML_CLASSIFY__MAX_CLASSES]; /* boost: answer before the first tree */
    struct bml_classify__net *net;
} bml_classify__learner;

BML_CLASSIFY_DEF const char *bml_classify_model_name(int model) {
    static const char *const name[BML_CLASSIFY_N_MODELS] = {"logistic", "forest", "boost",  "dnn",
                                                            "rnn",      "bnn",    "kernel", "stack"};
    return model >= 0 && model < BML_CLASSIFY_N_MODELS ? name[model] : "?";
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
    for (int k = 1; k < n_class; k++)
        highest = score[k] > highest ? score[k] : highest;
    for (int k = 0; k < n_class; k++)
        sum += p[k] = exp(score[k] - highest);
    for (int k = 0; k < n_class; k++)
        p[k] /= sum;
}

/* >> logistic regression

   Newton's method on the penalised log likelihood, which is concave: steps are halved only where rounding or a far
   start would make it fall. Class 0 is the one the others are compared with. */

/* score of class k (1 ... n_class-1) of a row z[d]. */
static double bml_classify__linear(const double *beta, const double *z, int d, int k) {
    const double *b = beta + (size_t)(k - 1) * (size_t)(d + 1);
    double s = b[d];
    for (int j = 0; j < d; j++)
        s += b[j] * z[j];
    return s;
}

static void bml_classify__logistic_row(double *p, const double *beta, const double *z, int d, int n_class) {
    double score[BML_CLASSIFY__MAX_CLASSES];
    score[0] = 0;
    for (int k = 1; k < n_class; k++)
        score[k] = bml_classify__linear(beta, z, d, k);
    bml_classify__softmax(p, n_class == 2 ? score + 1 : score, n_class);
}

/* Adds a row's part of gradient[P] and lower half of hessian[P][P], P = (n_class - 1)(d + 1), x = (z, 1). */
static void bml_classify__logistic_add(double *gradient, double *hessian, const double *p, const double *z, int y,
                                       double w, int d, int n_class) {
    int e = d + 1;
    int size = (n_class - 1) * e;
    for (int k = 1; k < n_class; k++) {
        double g = w * (p[k] - (y == k));
        for (int i = 0; i < e; i++)
            gradient[(k - 1) * e + i] += g * (i < d ? z[i] : 1);
        for (int l = 1; l <= k; l++) {
            double h = w * p[k] * ((k == l) - p[l]);
            for (int i = 0; i < e; i++) {
                double hx = h * (i < d ? z[i] : 1);
                double *to = hessian + (size_t)((k - 1) * e + i) * (size_t)size + (l - 1) * e;
                int stop = k == l ? i + 1 : e;
                for (int j = 0; j < stop && j < d; j++)
                    to[j] += hx * z[j];
                if (stop > d) to[d] += hx;
            }
        }
    }
}

/* Penalised minus log likelihood; gradient and hessian too unless gradient is NULL. */
static double bml_classify__logistic_loss(double *gradient, double *hessian, const double *beta,
                                          const bml_classify__sample *s, double l2) {
    int e = s->d + 1;
    int size = (s->n_class - 1) * e;
    double loss = 0;
    double p[BML_CLASSIFY__MAX_CLASSES];
    if (gradient) memset(gradient, 0, (size_t)size * sizeof *gradient);
    if (gradient) memset(hessian, 0, (size_t)size * (size_t)size * sizeof *hessian);
    for (int i = 0; i < s->n; i++) {
        const double *z = s->z + (size_t)i * (size_t)s->d;
        int y = s->y[i];
        bml_classify__logistic_row(p, beta, z, s->d, s->n_class);
        loss -= s->w[i] * log(p[y] > DBL_MIN ? p[y] : DBL_MIN);
        if (gradient) bml_classify__logistic_add(gradient, hessian, p, z, y, s->w[i], s->d, s->n_class);
    }
    for (int i = 0; i < size; i++) {
        double weight = i % e < s->d ? l2 : 1e-9; /* the constant is free; this keeps the matrix invertible */
        loss += 0.5 * weight * beta[i] * beta[i];
        if (gradient) gradient[i] += weight * beta[i];
        if (gradient) hessian[(size_t)i * (size_t)size + (size_t)i] += weight;
    }
    return loss;
}

/* One Newton step; 1 when the loss fell by less than 1e-10 of itself, 0 when it fell by more, -1 on failure. */
static int bml_classify__newton(double *beta, double *trial, double *gradient, double *hessian,
                                const bml_classify__sample *s, double l2, double *loss) {
    int size = (s->n_class - 1) * (s->d + 1);
    double step = 1;
    double before = bml_classify__logistic_loss(gradient, hessian, beta, s, l2);
    if (!bml_classify__cholesky(hessian, size)) return -1;
    bml_classify__solve(gradient, hessian, size);
    int halvings;
    for (halvings = 0; halvings < 30; halvings++, step *= 0.5) {
        for (int i = 0; i < size; i++)
            trial[i] = beta[i] - step * gradient[i];
        *loss = bml_classify__logistic_loss(NULL, NULL, trial, s, l2);
        if (*loss <= before) break;
    }
    if (halvings == 30) return 1; /* at the minimum to rounding */
    memcpy(beta, trial, (size_t)size * sizeof *beta);
    return before - *loss <= 1e-10 * (fabs(before) + 1e-300);
}

static int bml_classify__learn_logistic(bml_classify__learner *m, const bml_classify_config *config,
                                        const bml_classify__sample *s, char *why) {
    int size = (s->n_class - 1) * (s->d + 1);
    int done = 0;
    double *gradient = bml_classify__doubles(2, size);
    double *hessian = bml_classify__doubles(size, size);
    m->beta = bml_classify__doubles(size, 1);
    m->covariance = bml_classify__doubles(size, size);
    if (!gradient || !hessian || !m->beta || !m->covariance) done = -2;
    int steps;
    double loss;
    for (steps = 0; steps < 100 && !done; steps++)
        done = bml_classify__newton(m->beta, gradient + size, gradient, hessian, s, config->l2, &loss);
    for (int j = 0; j < size && done == 1; j++) { /* the factor is that of the last step: at the minimum */
        double *column = gradient;
        for (int i = 0; i < size; i++)
            column[i] = i == j;
        bml_classify__solve(column, hessian, size);
        for (int i = 0; i < size; i++)
            m->covariance[(size_t)i * (size_t)size + (size_t)j] = column[i];
    }
    BML_CLASSIFY_FREE(gradient);
    BML_CLASSIFY_FREE(hessian);
    if (done == 1) return BML_CLASSIFY_OK;
    if (done == -2) return bml_classify__no_memory(why);
    return bml_classify__fail(why, BML_CLASSIFY_NOT_CONVERGED, "logistic regression: no minimum after %d steps", steps);
}

/* p[n][n_class], sd likewise or NULL: for two classes from the variance of the score, p (1-p) sd(score). */
static void bml_classify__ask_logistic(double *p, double *sd, const bml_classify__learner *m, const double *z, int n) {
    int e = m->d + 1;
    for (int i = 0; i < n; i++, z += m->d, p += m->n_class) {
        double var = 0;
        bml_classify__logistic_row(p, m->beta, z, m->d, m->n_class);
        if (!sd) continue;
        for (int j = 0; j < e && m->n_class == 2; j++)
            for (int k = 0; k < e; k++)
                var += (j < m->d ? z[j] : 1) * (k < m->d ? z[k] : 1) * m->covariance[j * e + k];
        for (int k = 0; k < m->n_class; k++)
            sd[i * m->n_class + k] = m->n_class == 2 ? p[0] * p[1] * sqrt(var > 0 ? var : 0) : BML_CLASSIFY__NAN;
    }
}

/* >> kernels

   With K = L L' at the centres and phi(x) = L^-1 k(x, c), f is linear in phi, f = constant + b' phi, and a'K a = b'b:
   logistic regression on phi. What of the process the centres cannot tell, k(x, x) - phi'phi, adds to the variance
   (Quinonero-Candela & Rasmussen 2005, JMLR 6, 1939, section 5): away from all rows the doubt is the prior's. */

static double bml_classify__distance2(const double *a, const double *b, int d) {
    double s = 0;
    for (int j = 0; j < d; j++)
        s += (a[j] - b[j]) * (a[j] - b[j]);
    return s;
}

/* k(z, c_k). */
static double bml_classify__kernel(const bml_classify__learner *m, const double *z, int k) {
    return 1 / (1 + bml_classify__distance2(z, m->centre + (size_t)k * (size_t)m->d, m->d) / m->width);
}

/* phi[n][n_centres] of z[n][d]. m->factor holds L by columns, so that inner loops run over neighbours. */
static void bml_classify__lift(double *phi, const bml_classify__learner *m, const double *z, int n) {
    int size = m->n_centres;
    for (int i = 0; i < n; i++, z += m->d, phi += size) {
        for (int k = 0; k < size; k++)
            phi[k] = bml_classify__kernel(m, z, k);
        for (int k = 0; k < size; k++) {
            const double *column = m->factor + (size_t)k * (size_t)size;
            double x = phi[k] /= column[k];
            for (int j = k + 1; j < size; j++)
                phi[j] -= x * column[j];
        }
    }
}

/* Centres drawn from the rows, and the factor of their kernel matrix; 0 without memory. */
static int bml_classify__place_centres(bml_classify__learner *m, const bml_classify_config *config,
                                       const bml_classify__sample *s, uint64_t seed) {
    int size = config->centres < s->n ? config->centres : s->n;
    int *order = bml_classify__ints(s->n);
    double *K = bml_classify__doubles(size, size);
    m->n_centres = size;
    m->width = 2 * m->d * config->scale * config->scale;
    m->l2 = config->l2;
    m->centre = bml_classify__doubles(size, m->d);
    m->factor = bml_classify__doubles(size, size);
    int ok = order && K && m->centre && m->factor;
    bml_classify_rng rng;
    bml_classify_rng_init(&rng, seed, 0xCE27u);
    for (int i = 0; i < s->n && ok; i++)
        order[i] = i;
    if (ok && size < s->n) bml_classify__shuffle(order, s->n, &rng);
    for (int i = 0; i < size && ok; i++) {
        double *to = m->centre + (size_t)i * (size_t)m->d;
        memcpy(to, s->z + (size_t)order[i] * (size_t)m->d, (size_t)m->d * sizeof *to);
        for (int j = 0; j <= i; j++)
            K[i * size + j] = bml_classify__kernel(m, to, j);
        K[i * size + i] += 1e-8; /* rows may coincide */
    }
    ok = ok && bml_classify__cholesky(K, size);
    for (int i = 0; i < size && ok; i++)
        for (int j = 0; j <= i; j++)
            m->factor[j * size + i] = K[i * size + j];
    BML_CLASSIFY_FREE(order);
    BML_CLASSIFY_FREE(K);
    return ok;
}

static int bml_classify__learn_kernel(bml_classify__learner *m, const bml_classify_config *config,
                                      const bml_classify__sample *s, uint64_t seed, char *why) {
    bml_classify__sample lifted = *s;
    if (!bml_classify__place_centres(m, config, s, seed)) return bml_classify__no_memory(why);
    lifted.d = m->n_centres;
    lifted.z = bml_classify__doubles(s->n, lifted.d);
    if (!lifted.z) return bml_classify__no_memory(why);
    bml_classify__lift(lifted.z, m, s->z, s->n);
    int status = bml_classify__learn_logistic(m, config, &lifted, why);
    BML_CLASSIFY_FREE(lifted.z);
    return status;
}

static int bml_classify__ask_kernel(double *p, double *sd, const bml_classify__learner *m, const double *z, int n) {
    enum { BLOCK = 256 };
    bml_classify__learner flat = *m; /* a logistic regression on phi */
    int K = m->n_class;
    int size = m->n_centres;
    double *phi = bml_classify__doubles(BLOCK, size);
    if (!phi) return BML_CLASSIFY_NO_MEMORY;
    flat.d = size;
    for (int at = 0; at < n; at += BLOCK) {
        int rows = n - at < BLOCK ? n - at : BLOCK;
        bml_classify__lift(phi, m, z + (size_t)at * (size_t)m->d, rows);
        bml_classify__ask_logistic(p + (size_t)at * (size_t)K, sd ? sd + (size_t)at * (size_t)K : NULL, &flat, phi,
                                   rows);
        for (int i = 0; i < rows && sd; i++) {
            double *to = sd + (size_t)(at + i) * (size_t)K;
            double slope = p[(at + i) * K] * p[(at + i) * K + 1];
            double beyond = 1;
            for (int j = 0; j < size; j++)
                beyond -= phi[i * size + j] * phi[i * size + j];
            for (int k = 0; k < K && beyond > 0; k++)
                to[k] = sqrt(to[k] * to[k] + slope * slope * beyond / m->l2);
        }
    }
    BML_CLASSIFY_FREE(phi);
    return BML_CLASSIFY_OK;
}

/* >> trees

   One builder serves boosting and the forest. Columns are binned once. A node gathers the gradients and curvatures of
   its rows; for each column that it tries it gathers their bins, and then sums either by bin, to try all cuts in one
   sweep, or below one cut drawn at random. n_out scores are split together. */

enum { BML_CLASSIFY__BINS = 64, BML_CLASSIFY__SUMS = 2 * BML_CLASSIFY__MAX_CLASSES };

typedef struct bml_classify__grower {
    bml_classify__learner *m;
    unsigned char *bin;      /* [d][n] */
    double *cut;             /* [d][BINS] upper edge of each bin; the last bin has none */
    int *n_bins;             /* [d] */
    double *gh;              /* [n][n_out][2] gradient and curvature of the loss */
    int *row, *column;       /* rows of the tree, reordered as it grows; columns, drawn per node */
    double *node_gh;         /* [n][n_out][2] and */
    unsigned char *node_bin; /* [n] of the rows of the node at hand */
    double *histogram;       /* [BINS][1 + 2 n_out] count, sums of g and h */
    int n, d, n_out, max_depth, min_leaf, n_try, random_cuts;
    double l2, rate;
    bml_classify_rng rng;
} bml_classify__grower;

typedef struct bml_classify__cut {
    double gain;
    int column, bin;
} bml_classify__cut; /* left: bins <= bin */

static void bml_classify__grower_free(bml_classify__grower *a) {
    BML_CLASSIFY_FREE(a->bin);
    BML_CLASSIFY_FREE(a->cut);
    BML_CLASSIFY_FREE(a->n_bins);
    BML_CLASSIFY_FREE(a->gh);
    BML_CLASSIFY_FREE(a->row);
    BML_CLASSIFY_FREE(a->column);
    BML_CLASSIFY_FREE(a->node_gh);
    BML_CLASSIFY_FREE(a->node_bin);
    BML_CLASSIFY_FREE(a->histogram);
}

/* Bins column j at quantiles of its values: edges lie halfway between neighbouring values. */
static void bml_classify__bin_column(bml_classify__grower *a, const bml_classify__sample *s, int j, double *sorted) {
    double *cut = a->cut + j * BML_CLASSIFY__BINS;
    int n_cuts = 0;
    for (int i = 0; i < s->n; i++)
        sorted[i] = s->z[(size_t)i * (size_t)s->d + (size_t)j];
    qsort(sorted, (size_t)s->n, sizeof *sorted, bml_classify__by_value);
    for (int k = 1; k < BML_CLASSIFY__BINS; k++) {
        int at = (int)((size_t)k * (size_t)s->n / BML_CLASSIFY__BINS);
        if (at < 1 || !(sorted[at - 1] < sorted[at])) continue;
        double edge = 0.5 * (sorted[at - 1] + sorted[at]);
        if (!n_cuts || edge > cut[n_cuts - 1]) cut[n_cuts++] = edge;
    }
    a->n_bins[j] = n_cuts + 1;
    for (int i = 0; i < s->n; i++) {
        double v = s->z[(size_t)i * (size_t)s->d + (size_t)j];
        int lo = 0;
        int hi = n_cuts;
        while (lo < hi) {
            int middle = (lo + hi) / 2;
            if (v > cut[middle])
                lo = middle + 1;
            else
                hi = middle;
        }
        a->bin[(size_t)j * (size_t)s->n + (size_t)i] = (unsigned char)lo;
    }
}

static int bml_classify__grower_start(bml_classify__grower *a, bml_classify__learner *m,
                                      const bml_classify_config *config, const bml_classify__sample *s, uint64_t seed) {
    double *sorted = bml_classify__doubles(s->n, 1);
    memset(a, 0, sizeof *a);
    a->m = m;
    a->n = s->n;
    a->d = s->d;
    a->n_out = m->n_out;
    a->max_depth = config->depth;
    a->min_leaf = config->min_leaf;
    a->random_cuts = config->random_cuts;
    a->n_try = (int)ceil(config->column_share * s->d - 1e-9);
    a->n_try = a->n_try < 1 ? 1 : a->n_try > s->d ? s->d : a->n_try;
    a->l2 = config->l2;
    a->rate = config->rate;
    a->bin = (unsigned char *)bml_classify__alloc((size_t)s->n, (size_t)s->d, 1);
    a->cut = bml_classify__doubles(s->d, BML_CLASSIFY__BINS);
    a->n_bins = bml_classify__ints(s->d);
    a->gh = bml_classify__doubles(s->n, 2 * m->n_out);
    a->row = bml_classify__ints(s->n);
    a->column = bml_classify__ints(s->d);
    a->node_gh = bml_classify__doubles(s->n, 2 * m->n_out);
    a->node_bin = (unsigned char *)bml_classify__alloc((size_t)s->n, 1, 1);
    a->histogram = bml_classify__doubles(BML_CLASSIFY__BINS, 1 + 2 * m->n_out);
    m->root = bml_classify__ints(config->trees);
    int ok = sorted && a->bin && a->cut && a->n_bins && a->gh && a->row && a->column && a->node_gh && a->node_bin &&
             a->histogram && m->root;
    for (int j = 0; j < s->d && ok; j++) {
        bml_classify__bin_column(a, s, j, sorted);
        a->column[j] = j;
    }
    bml_classify_rng_init(&a->rng, seed, 0x7EEu);
    BML_CLASSIFY_FREE(sorted);
    return ok;
}

/* A new leaf; its number, or -1 without memory. */
static int bml_classify__new_node(bml_classify__learner *m) {
    if (m->n_nodes == m->room) {
        int room = m->room ? 2 * m->room : 256;
        bml_classify__node *node = (bml_classify__node *)BML_CLASSIFY_REALLOC(m->node, (size_t)room * sizeof *node);
        if (!node) return -1;
        m->node = node;
        double *value;
        value = (double *)BML_CLASSIFY_REALLOC(m->value, (size_t)room * (size_t)m->n_out * sizeof *value);
        if (!value) return -1;
        m->value = value;
        m->room = room;
    }
    m->node[m->n_nodes].column = -1;
    return m->n_nodes++;
}

/* sum over outputs of G^2/(H + l2), of sum[n_out][2]. */
static double bml_classify__worth(const double *sum, int n_out, double l2) {
    double worth = 0;
    for (int k = 0; k < n_out; k++)
        worth += sum[2 * k] * sum[2 * k] / (sum[2 * k + 1] + l2 + 1e-300);
    return worth;
}

/* Takes a cut if it is the best yet. left[n_out][2] are the sums of n_left of the `count` rows, total those of all. */
static void bml_classify__consider(bml_classify__cut *best, const bml_classify__grower *a, int j, int bin,
                                   const double *left, double n_left, int count, const double *total) {
    double right[BML_CLASSIFY__SUMS];
    if (n_left < a->min_leaf || count - n_left < a->min_leaf) return;
    for (int k = 0; k < 2 * a->n_out; k++)
        right[k] = total[k] - left[k];
    double gain = bml_classify__worth(left, a->n_out, a->l2) + bml_classify__worth(right, a->n_out, a->l2) -
                  bml_classify__worth(total, a->n_out, a->l2);
    if (gain > best->gain) {
        best->gain = gain;
        best->column = j;
        best->bin = bin;
    }
}

/* All cuts of a column whose node_bin lie within first ... last. */
static void bml_classify__all_cuts(bml_classify__cut *best, const bml_classify__grower *a, int j, int first, int last,
                                   int count, const double *total) {
    int sums = 2 * a->n_out;
    int width = 1 + sums;
    double *h = a->histogram;
    double left[BML_CLASSIFY__SUMS];
    double n_left = 0;
    const double *gh = a->node_gh;
    memset(h + first * width, 0, (size_t)(last - first + 1) * (size_t)width * sizeof *h);
    for (int i = 0; i < count; i++, gh += sums) {
        double *to = h + a->node_bin[i] * width;
        to[0] += 1;
        for (int k = 0; k < sums; k++)
            to[1 + k] += gh[k];
    }
    for (int k = 0; k < sums; k++)
        left[k] = 0;
    for (int b = first; b < last; b++) {
        if (!(h[b * width] > 0)) continue; /* the same cut as the one before */
        n_left += h[b * width];
        for (int k = 0; k < sums; k++)
            left[k] += h[b * width + 1 + k];
        bml_classify__consider(best, a, j, b, left, n_left, count, total);
    }
}

/* One cut at `bin`. */
static void bml_classify__one_cut(bml_classify__cut *best, const bml_classify__grower *a, int j, int bin, int count,
                                  const double *total) {
    double left[BML_CLASSIFY__SUMS];
    double g = 0;
    double h = 0;
    const double *gh = a->node_gh;
    int n_left = 0;
    for (int i = 0; i < count; i++)
        n_left += a->node_bin[i] <= bin;
    if (n_left < a->min_leaf || count - n_left < a->min_leaf) return;
    for (int k = 0; k < a->n_out; k++, g = h = 0) {
        for (int i = 0; i < count; i++) {
            double in = a->node_bin[i] <= bin ? 1 : 0;
            g += in * gh[(size_t)i * (size_t)(2 * a->n_out) + (size_t)(2 * k)];
            h += in * gh[(size_t)i * (size_t)(2 * a->n_out) + (size_t)(2 * k + 1)];
        }
        left[2 * k] = g;
        left[2 * k + 1] = h;
    }
    bml_classify__consider(best, a, j, bin, left, n_left, count, total);
}

static bml_classify__cut bml_classify__best_cut(bml_classify__grower *a, int lo, int hi, const double *total) {
    bml_classify__cut best = {1e-12, -1, 0};
    for (int t = 0; t < a->n_try; t++) { /* columns without repetition */
        int k = t + bml_classify__below(&a->rng, a->d - t);
        int j = a->column[k];
        int first = 255;
        int last = 0;
        const unsigned char *bin = a->bin + (size_t)j * (size_t)a->n;
        a->column[k] = a->column[t];
        a->column[t] = j;
        for (int i = lo; i < hi; i++) {
            unsigned char b = a->node_bin[i - lo] = bin[a->row[i]];
            first = b < first ? b : first;
            last = b > last ? b : last;
        }
        if (first >= last) continue;
        if (a->random_cuts)
            bml_classify__one_cut(&best, a, j, first + bml_classify__below(&a->rng, last - first), hi - lo, total);
        else
            bml_classify__all_cuts(&best, a, j, first, last, hi - lo, total);
    }
    return best;
}

/* Moves rows of the left side to the front of lo ... hi-1; returns where the right side begins. */
static int bml_classify__part(bml_classify__grower *a, const bml_classify__cut *cut, int lo, int hi) {
    const unsigned char *bin = a->bin + (size_t)cut->column * (size_t)a->n;
    while (lo < hi) {
        if (bin[a->row[lo]] <= cut->bin)
            lo++;
        else {
            int t = a->row[--hi];
            a->row[hi] = a->row[lo];
            a->row[lo] = t;
        }
    }
    return lo;
}

/* Grows a node over rows lo ... hi-1; its number, or -1 without memory. Depth is bounded, and so is the recursion. */
static int bml_classify__grow(bml_classify__grower *a, int lo, int hi, int depth) {
    int id = bml_classify__new_node(a->m);
    int sums = 2 * a->n_out;
    double total[BML_CLASSIFY__SUMS];
    if (id < 0) return -1;
    for (int k = 0; k < sums; k++)
        total[k] = 0;
    for (int i = lo; i < hi; i++)
        for (int k = 0; k < sums; k++)
            total[k] += a->node_gh[(size_t)(i - lo) * (size_t)sums + (size_t)k] =
                a->gh[(size_t)a->row[i] * (size_t)sums + (size_t)k];
    for (int k = 0; k < a->n_out; k++)
        a->m->value[id * a->n_out + k] = -a->rate * total[2 * k] / (total[2 * k + 1] + a->l2 + 1e-300);
    if (depth >= a->max_depth || hi - lo < 2 * a->min_leaf) return id;
    bml_classify__cut cut = bml_classify__best_cut(a, lo, hi, total);
    if (cut.column < 0) return id;
    int middle = bml_classify__part(a, &cut, lo, hi);
    int left = bml_classify__grow(a, lo, middle, depth + 1);
    int right = left < 0 ? -1 : bml_classify__grow(a, middle, hi, depth + 1);
    if (right < 0) return -1;
    a->m->node[id].column = cut.column;
    a->m->node[id].cut = a->cut[cut.column * BML_CLASSIFY__BINS + cut.bin];
    a->m->node[id].left = left;
    a->m->node[id].right = right;
    return id;
}

/* The leaf of a row z[d] in a tree. */
static const double *bml_classify__leaf(const bml_classify__learner *m, int tree, const double *z) {
    int id = m->root[tree];
    while (m->node[id].column >= 0)
        id = z[m->node[id].column] > m->node[id].cut ? m->node[id].right : m->node[id].left;
    return m->value + (size_t)id * (size_t)m->n_out;
}

static int bml_classify__learn_forest(bml_classify__learner *m, const bml_classify_config *config,
                                      const bml_classify__sample *s, uint64_t seed, char *why) {
    m->n_out = s->n_class == 2 ? 1 : s->n_class;
    bml_classify__grower a;
    int ok = bml_classify__grower_start(&a, m, config, s, seed);
    a.rate = 1;
    for (int i = 0; i < s->n && ok; i++)
        for (int k = 0; k < m->n_out; k++) {
            a.gh[2 * (i * m->n_out + k)] = s->y[i] == (m->n_out == 1 ? 1 : k) ? -s->w[i] : 0;
            a.gh[2 * (i * m->n_out + k) + 1] = s->w[i];
        }
    for (int t = 0; t < config->trees && ok; t++) {
        for (int i = 0; i < s->n; i++)
            a.row[i] = bml_classify__below(&a.rng, s->n);
        m->root[t] = bml_classify__grow(&a, 0, s->n, 0);
        ok = m->root[t] >= 0;
        m->n_trees += ok;
    }
    bml_classify__grower_free(&a);
    return ok ? BML_CLASSIFY_OK : bml_classify__no_memory(why);
}

/* Gradient and curvature of the log loss at score[n][n_out]. */
static void bml_classify__boost_gradient(bml_classify__grower *a, const double *score, const bml_classify__sample *s) {
    double p[BML_CLASSIFY__MAX_CLASSES];
    int n_out = a->n_out;
    for (int i = 0; i < s->n; i++) {
        bml_classify__softmax(p, score + i * n_out, s->n_class);
        for (int k = 0; k < n_out; k++) {
            int class_of = n_out == 1 ? 1 : k;
            a->gh[2 * (i * n_out + k)] = s->w[i] * (p[class_of] - (s->y[i] == class_of));
            a->gh[2 * (i * n_out + k) + 1] = s->w[i] * p[class_of] * (1 - p[class_of]);
        }
    }
}

static int bml_classify__learn_boost(bml_classify__learner *m, const bml_classify_config *config,
                                     const bml_classify__sample *s, uint64_t seed, char *why) {
    double share[BML_CLASSIFY__MAX_CLASSES] = {0};
    int drawn = (int)(config->row_share * s->n);
    m->n_out = s->n_class == 2 ? 1 : s->n_class;
    bml_classify__grower a;
    int ok = bml_classify__grower_start(&a, m, config, s, seed);
    double *score = bml_classify__doubles(s->n, m->n_out);
    ok = ok && score;
    for (int i = 0; i < s->n; i++)
        share[s->y[i]] += s->w[i];
    for (int k = 0; k < m->n_out; k++)
        m->base[k] = m->n_out == 1 ? log(share[1] / share[0]) : log(share[k] + 1e-9);
    for (int i = 0; i < s->n && ok; i++) {
        a.row[i] = i;
        memcpy(score + i * m->n_out, m->base, (size_t)m->n_out * sizeof *score);
    }
    drawn = drawn < 2 ? s->n : drawn;
    for (int t = 0; t < config->trees && ok; t++) {
        bml_classify__boost_gradient(&a, score, s);
        bml_classify__shuffle(a.row, s->n, &a.rng);
        m->root[t] = bml_classify__grow(&a, 0, drawn, 0);
        ok = m->root[t] >= 0;
        m->n_trees += ok;
        for (int i = 0; i < s->n && ok; i++) {
            const double *leaf = bml_classify__leaf(m, t, s->z + (size_t)i * (size_t)s->d);
            for (int k = 0; k < m->n_out; k++)
                score[i * m->n_out + k] += leaf[k];
        }
    }
    BML_CLASSIFY_FREE(score);
    bml_classify__grower_free(&a);
    return ok ? BML_CLASSIFY_OK : bml_classify__no_memory(why);
}

static void bml_classify__ask_trees(double *p, double *sd, const bml_classify__learner *m, const double *z, int n) {
    int K = m->n_class;
    int forest = m->kind == BML_CLASSIFY_FOREST;
    for (int i = 0; i < n; i++, z += m->d, p += K) {
        double sum[BML_CLASSIFY__MAX_CLASSES];
        double square[BML_CLASSIFY__MAX_CLASSES];
        double all = 0;
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
        if (!forest) bml_classify__softmax(p, sum, K);
        for (int k = 0; k < m->n_out && forest; k++)
            all += sum[k];
        for (int k = 0; k < K && forest; k++)
            p[k] = m->n_out == 1 ? k ? sum[0] / m->n_trees : 1 - sum[0] / m->n_trees : sum[k] / all;
        for (int k = 0; k < K && sd; k++) {
            double var = square[m->n_out == 1 ? 0 : k] / m->n_trees - p[k] * p[k];
            if (m->n_out == 1) var = square[0] / m->n_trees - p[1] * p[1];
            sd[i * K + k] = forest ? sqrt(var > 0 ? var : 0) : BML_CLASSIFY__NAN;
        }
    }
}

/* >> networks

   The columns are sorted into branches, energy and time, each with layers of its own, which are then joined; what
   belongs to neither (latitude) joins with the energy in a dense net, and after the branches in a recurrent one.
     DNN  per branch a dense layer; joined, two more, and the logits. tanh: raw fluxes reach 60 sd, and a unit that
          saturates does not let those few sources draw the border
     RNN  per branch three SimpleRNN layers, bands or years as steps; joined, the logits
     BNN  two Bayesian (Flipout) ReLU layers and Bayesian logits, over all inputs together
   All are trained by categorical cross-entropy with Adam. */

#ifdef BML_CLASSIFY_NO_NN
static void bml_classify__net_free(struct bml_classify__net *net) {
    (void)net;
}
static int bml_classify__learn_net(bml_classify__learner *m, const bml_classify_config *config,
                                   const bml_classify__sample *s, uint64_t seed, char *why) {
    (void)m;
    (void)s;
    (void)seed;
    return bml_classify__fail(why, BML_CLASSIFY_NO_NETWORKS, "%s: compiled without bml_nn.h",
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
enum { BML_CLASSIFY__ROWS = 512, BML_CLASSIFY__LAYERS = 24 }; /* rows asked at a time; layers of the largest net */

typedef struct bml_classify__net {
    bml_nn *net;
    int *order; /* [d] column of the sample at each input of the net */
    int draws;  /* 0: nothing random */
    uint64_t seed;
} bml_classify__net;

static void bml_classify__net_free(struct bml_classify__net *net) {
    if (!net) return;
    bml_nn_free(net->net);
    BML_CLASSIFY_FREE(net->order);
    BML_CLASSIFY_FREE(net);
}

/* Sorts columns by branch; count[3] are those of energy, time and place. */
static void bml_classify__branches(int *order, int *count, const bml_classify__sample *s) {
    static const int group[3] = {BML_CLASSIFY_ENERGY, BML_CLASSIFY_TIME, BML_CLASSIFY_PLACE};
    int n = 0;
    for (int b = 0; b < 3; b++) {
        count[b] = 0;
        for (int j = 0; j < s->d; j++) {
            int of = s->group ? s->group[j] : BML_CLASSIFY_ENERGY;
            if (of != group[b]) continue;
            order[n++] = j;
            count[b]++;
        }
    }
}

/* A layer of that kind after the one before it. */
static bml_nn_layer *bml_classify__layer(bml_nn_layer *layers, int *n, int kind, int units) {
    bml_nn_layer *l = &layers[(*n)++];
    memset(l, 0, sizeof *l);
    l->kind = kind;
    l->units = units;
    return l;
}

/* The branch of one input: dense, one layer; recurrent, three. */
static void bml_classify__branch(bml_nn_layer *layers, int *n, const bml_classify_config *c, int count,
                                 const char *input, const char *end) {
    bml_nn_layer *l = bml_classify__layer(layers, n, BML_NN_INPUT, 0);
    l->name = input;
    l->features = c->model == BML_CLASSIFY_RNN ? 1 : count;
    l->steps = c->model == BML_CLASSIFY_RNN ? count : 0;
    for (int k = 0; k < 3 && c->model == BML_CLASSIFY_RNN; k++) {
        l = bml_classify__layer(layers, n, BML_NN_RNN, c->hidden);
        l->sequence = k < 2;
    }
    if (c->model == BML_CLASSIFY_DNN) {
        l = bml_classify__layer(layers, n, BML_NN_DENSE, c->hidden);
        l->activation = BML_NN_TANH;
    }
    l->name = end;
}

/* The layers of a net over count[3] inputs; their number. */
static int bml_classify__layers(bml_nn_layer *layers, const bml_classify_config *c, const int *count, int n_class) {
    static const char *const ends[3] = {"energy_end", "time_end", "place"};
    static const char *const inputs[2] = {"energy", "time"};
    int n = 0;
    int joined = 0;
    int bayes = c->model == BML_CLASSIFY_BNN;
    int rnn = c->model == BML_CLASSIFY_RNN;
    int in[3];
    in[0] = count[0];
    in[1] = count[1];
    in[2] = count[2];
    if (bayes) {
        in[0] = count[0] + count[1] + count[2];
        in[1] = in[2] = 0;
    }
    if (c->model == BML_CLASSIFY_DNN && in[0]) {
        in[0] += in[2];
        in[2] = 0;
    }
    for (int b = 0; b < 2 && !bayes; b++)
        if (in[b]) bml_classify__branch(layers, &n, c, in[b], inputs[b], ends[b]);
    bml_nn_layer *l;
    if (in[2] || bayes) {
        l = bml_classify__layer(layers, &n, BML_NN_INPUT, 0);
        l->name = ends[2];
        l->features = bayes ? in[0] : in[2];
    }
    if (!bayes && (in[0] > 0) + (in[1] > 0) + (in[2] > 0) > 1) {
        bml_nn_layer *join = bml_classify__layer(layers, &n, BML_NN_CONCAT, 0);
        for (int b = 0; b < 3; b++)
            if (in[b]) join->from[joined++] = ends[b];
    }
    for (int k = 0; k < 2 && !rnn; k++) {
        l = bml_classify__layer(layers, &n, bayes ? BML_NN_BAYES : BML_NN_DENSE, c->hidden);
        l->activation = bayes ? BML_NN_RELU : BML_NN_TANH;
    }
    bml_classify__layer(layers, &n, bayes ? BML_NN_BAYES : BML_NN_DENSE, n_class);
    return n;
}

/* x[n][d] in the net's order. */
static void bml_classify__to_net(bml_nn_real *x, const double *z, const int *order, int n, int d) {
    for (int i = 0; i < n; i++, z += d)
        for (int j = 0; j < d; j++)
            *x++ = (bml_nn_real)z[order[j]];
}

/* Trains `net` on the sample. */
static int bml_classify__train_net(bml_classify__net *net, const bml_classify_config *c, const bml_classify__sample *s,
                                   uint64_t seed) {
    bml_nn_real *x = (bml_nn_real *)bml_classify__alloc((size_t)s->n, (size_t)s->d, sizeof *x);
    bml_nn_real *y = (bml_nn_real *)bml_classify__alloc((size_t)s->n, (size_t)s->n_class, sizeof *y);
    bml_nn_real *w = (bml_nn_real *)bml_classify__alloc((size_t)s->n, sizeof *w, 1);
    int status = BML_NN_NO_MEMORY;
    if (x && y && w) {
        bml_classify__to_net(x, s->z, net->order, s->n, s->d);
        for (int i = 0; i < s->n; i++) {
            y[i * s->n_class + s->y[i]] = 1;
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
        status = bml_nn_train(net->net, &t, NULL);
    }
    BML_CLASSIFY_FREE(x);
    BML_CLASSIFY_FREE(y);
    BML_CLASSIFY_FREE(w);
    return status;
}

static int bml_classify__learn_net(bml_classify__learner *m, const bml_classify_config *config,
                                   const bml_classify__sample *s, uint64_t seed, char *why) {
    bml_nn_layer layers[BML_CLASSIFY__LAYERS];
    bml_classify__net *net = m->net = (bml_classify__net *)bml_classify__alloc(1, sizeof *net, 1);
    int count[3];
    if (!net) return bml_classify__no_memory(why);
    net->order = bml_classify__ints(s->d);
    if (!net->order) return bml_classify__no_memory(why);
    bml_classify__branches(net->order, count, s);
    bml_nn_config how;
    memset(&how, 0, sizeof how);
    how.layers = layers;
    how.n_layers = bml_classify__layers(layers, config, count, s->n_class);
    how.seed = seed;
    net->draws = config->model == BML_CLASSIFY_BNN ? config->draws : 0;
    net->seed = seed;
    char reason[BML_NN_MESSAGE] = "";
    int status = bml_nn_create(&net->net, &how, reason);
    if (!status) status = bml_classify__train_net(net, config, s, seed);
    if (!status) return BML_CLASSIFY_OK;
    if (status == BML_NN_NO_MEMORY) return bml_classify__no_memory(why);
    return bml_classify__fail(why, status == BML_NN_NAN ? BML_CLASSIFY_NOT_CONVERGED : BML_CLASSIFY_BAD_ARGUMENT,
                              "%s: %s: %s", bml_classify_model_name(config->model), bml_nn_strerror(status),
                              net->net ? bml_nn_message(net->net) : reason);
}

/* Mean and sd of the probabilities over draws of logits[n_draws][n][n_class]. */
static void bml_classify__of_draws(double *p, double *sd, const bml_nn_real *logits, int n_draws, int n, int n_class) {
    double q[BML_CLASSIFY__MAX_CLASSES];
    double one[BML_CLASSIFY__MAX_CLASSES];
    double square[BML_CLASSIFY__MAX_CLASSES];
    for (int i = 0; i < n; i++) {
        double *to = p + i * n_class;
        for (int k = 0; k < n_class; k++)
            to[k] = square[k] = 0;
        for (int t = 0; t < n_draws; t++) {
            const bml_nn_real *a = logits + ((size_t)t * (size_t)n + (size_t)i) * (size_t)n_class;
            for (int k = 0; k < n_class; k++)
                one[k] = (double)a[k];
            if (n_class == 2) one[0] = one[1] - one[0];
            bml_classify__softmax(q, one, n_class);
            for (int k = 0; k < n_class; k++) {
                to[k] += q[k] / n_draws;
                square[k] += q[k] * q[k] / n_draws;
            }
        }
        for (int k = 0; k < n_class && sd; k++) {
            double var = square[k] - to[k] * to[k];
            sd[i * n_class + k] = n_draws > 1 ? sqrt(var > 0 ? var : 0) : BML_CLASSIFY__NAN;
        }
    }
}

static int bml_classify__ask_net(double *p, double *sd, const bml_classify__learner *m, const double *z, int n) {
    const bml_classify__net *net = m->net;
    int draws = net->draws > 1 ? net->draws : 1;
    int K = m->n_class;
    int status = BML_NN_OK;
    bml_nn_real *x = (bml_nn_real *)bml_classify__alloc(BML_CLASSIFY__ROWS, (size_t)m->d, sizeof *x);
    bml_nn_real *y = (bml_nn_real *)bml_classify__alloc((size_t)draws * BML_CLASSIFY__ROWS, (size_t)K, sizeof *y);
    bml_nn_work *work = NULL;
    if (!x || !y) status = BML_NN_NO_MEMORY;
    if (!status) status = bml_nn_work_create(&work, net->net, 48, 1, NULL);
    int rows;
    for (int at = 0; at < n && !status; at += rows) {
        rows = n - at < BML_CLASSIFY__ROWS ? n - at : BML_CLASSIFY__ROWS;
        bml_classify__to_net(x, z + (size_t)at * (size_t)m->d, net->order, rows, m->d);
        status = net->draws ? bml_nn_draws(net->net, work, y, x, (size_t)rows, draws, net->seed)
                            : bml_nn_predict(net->net, work, y, x, (size_t)rows);
        for (int i = 0; i < draws * rows * K && !status; i++)
            if (!isfinite(y[i])) status = BML_NN_NAN;
        if (!status)
            bml_classify__of_draws(p + (size_t)at * (size_t)K, sd ? sd + (size_t)at * (size_t)K : NULL, y, draws, rows,
                                   K);
    }
    bml_nn_work_free(work);
    BML_CLASSIFY_FREE(x);
    BML_CLASSIFY_FREE(y);
    if (status == BML_NN_NAN) return BML_CLASSIFY_NOT_CONVERGED;
    return status == BML_NN_OK ? BML_CLASSIFY_OK
           : status == BML_NN_NO_MEMORY ? BML_CLASSIFY_NO_MEMORY
                                        : BML_CLASSIFY_BAD_ARGUMENT;
}
#endif

/* >> the learners behind one name */

static void bml_classify__learner_free(bml_classify__learner *m) {
    BML_CLASSIFY_FREE(m->beta);
    BML_CLASSIFY_FREE(m->covariance);
    BML_CLASSIFY_FREE(m->centre);
    BML_CLASSIFY_FREE(m->factor);
    BML_CLASSIFY_FREE(m->node);
    BML_CLASSIFY_FREE(m->value);
    BML_CLASSIFY_FREE(m->root);
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
    if (m->kind == BML_CLASSIFY_LOGISTIC)
        bml_classify__ask_logistic(p, sd, m, z, n);
    else if (m->kind == BML_CLASSIFY_FOREST || m->kind == BML_CLASSIFY_BOOST)
        bml_classify__ask_trees(p, sd, m, z, n);
    else if (m->kind == BML_CLASSIFY_KERNEL)
        return bml_classify__ask_kernel(p, sd, m, z, n);
    else
        return bml_classify__ask_net(p, sd, m, z, n);
    return BML_CLASSIFY_OK;
}

/* >> balance */

/* The 5 rows of list[m] nearest to row a of it, by z[.][d]; their number (fewer when there are fewer) and places in
   list. */
enum { BML_CLASSIFY__NEIGHBOURS = 5 };

/* Keeps the smallest distances, in order; skip = the row itself. */
static int bml_classify__nearest(double *distance2, int *place, const double *x, const double *z, const int *list,
                                 int m, int d, int skip) {
    int k;
    int n = 0;
    for (int i = 0; i < m; i++) {
        if (i == skip) continue;
        double r = bml_classify__distance2(x, z + (size_t)list[i] * (size_t)d, d);
        if (n == BML_CLASSIFY__NEIGHBOURS && !(r < distance2[n - 1])) continue;
        if (n < BML_CLASSIFY__NEIGHBOURS) n++;
        for (k = n - 1; k > 0 && distance2[k - 1] > r; k--) {
            distance2[k] = distance2[k - 1];
            place[k] = place[k - 1];
        }
        distance2[k] = r;
        place[k] = i;
    }
    return n;
}

/* Appends `extra` new rows of class k, whose m rows are list[m], to the sample, which has room. Each row takes part as
   a in turn, in random order, so that no row is far more often used than another. */
static void bml_classify__smote_class(bml_classify__sample *s, int k, int *list, int m, int extra,
                                      bml_classify_rng *rng) {
    double distance2[BML_CLASSIFY__NEIGHBOURS];
    int place[BML_CLASSIFY__NEIGHBOURS];
    bml_classify__shuffle(list, m, rng);
    for (int e = 0; e < extra; e++) {
        int at = e % m;
        const double *a = s->z + (size_t)list[at] * (size_t)s->d;
        const double *b = a;
        double u = bml_classify_rng_uniform(rng);
        double *to = s->z + (size_t)s->n * (size_t)s->d;
        int n = bml_classify__nearest(distance2, place, a, s->z, list, m, s->d, at);
        if (n) b = s->z + (size_t)list[place[bml_classify__below(rng, n)]] * (size_t)s->d;
        for (int j = 0; j < s->d; j++)
            to[j] = a[j] + u * (b[j] - a[j]);
        s->y[s->n++] = k;
    }
}

/* want[n_class]: rows of each class after SMOTE. */
static int bml_classify__smote_target(int *want, const int *have, int n_class, const bml_classify_config *config) {
    int most = 0;
    for (int k = 0; k < n_class; k++)
        most = have[k] > most ? have[k] : most;
    for (int k = 0; k < n_class; k++) {
        want[k] = have[k];
        if (config->smote == BML_CLASSIFY_NO_SMOTE || !have[k]) continue;
        want[k] = config->smote == BML_CLASSIFY_SMOTE_MINORITY ? most
                  : config->smote_to                           ? config->smote_to[k]
                  : most < INT_MAX / 2                         ? 2 * most
                                                               : most;
        if (want[k] < have[k]) want[k] = have[k];
        if (want[k] > 10000000) return 0;
    }
    return 1;
}

/* Room for the rows to come, then the new ones. have[n_class] counts the present ones. */
static int bml_classify__smote(bml_classify__sample *s, const int *have, const bml_classify_config *config,
                               uint64_t seed, char *why) {
    int want[BML_CLASSIFY__MAX_CLASSES];
    int total = 0;
    if (!bml_classify__smote_target(want, have, s->n_class, config))
        return bml_classify__fail(why, BML_CLASSIFY_TOO_LARGE, "SMOTE: more than ten million rows");
    for (int k = 0; k < s->n_class; k++)
        total += want[k];
    if (total == s->n) return BML_CLASSIFY_OK;
    double *z = bml_classify__doubles(total, s->d);
    int *y = bml_classify__ints(total);
    int *list = bml_classify__ints(s->n);
    if (!z || !y || !list) {
        BML_CLASSIFY_FREE(z);
        BML_CLASSIFY_FREE(y);
        BML_CLASSIFY_FREE(list);
        return bml_classify__no_memory(why);
    }
    memcpy(z, s->z, (size_t)s->n * (size_t)s->d * sizeof *z);
    memcpy(y, s->y, (size_t)s->n * sizeof *y);
    BML_CLASSIFY_FREE(s->z);
    BML_CLASSIFY_FREE(s->y);
    s->z = z;
    s->y = y;
    bml_classify_rng rng;
    bml_classify_rng_init(&rng, seed, 0x5307Eu);
    int i;
    int m;
    for (int k = 0; k < s->n_class; k++) {
        int old = s->n;
        for (i = 0, m = 0; i < old && m < have[k]; i++)
            if (s->y[i] == k) list[m++] = i;
        bml_classify__smote_class(s, k, list, m, want[k] - have[k], &rng);
    }
    BML_CLASSIFY_FREE(list);
    return BML_CLASSIFY_OK;
}

static int bml_classify__weights(bml_classify__sample *s, int by_class, char *why) {
    double count[BML_CLASSIFY__MAX_CLASSES] = {0};
    int classes = 0;
    s->w = bml_classify__doubles(s->n, 1);
    if (!s->w) return bml_classify__no_memory(why);
    for (int i = 0; i < s->n; i++) {
        classes += count[s->y[i]] < 1;
        count[s->y[i]] += 1;
    }
    for (int i = 0; i < s->n; i++)
        s->w[i] = by_class ? s->n / (classes * count[s->y[i]]) : 1;
    return BML_CLASSIFY_OK;
}

/* >> fitting

   Everything that is learned, scaling, new rows, inner folds, calibration, is learned here from the rows handed in. */

struct bml_classify_model {
    int kind, n_class, d_data, d;
    int *column;          /* [d] features of the data that are used */
    double *mean, *scale; /* [d] of the training rows; scale is 0 for a constant column */
    bml_classify__learner *copy;
    int n_copies;
    bml_classify_model **member; /* of a stack */
    double *weight;              /* [n_members] */
    int n_members;
    int calibrate;
    double temperature;
    double *knot_x[BML_CLASSIFY__MAX_CLASSES], *knot[BML_CLASSIFY__MAX_CLASSES]; /* isotonic, per class */
    int n_knots[BML_CLASSIFY__MAX_CLASSES];
};

BML_CLASSIFY_DEF void bml_classify_model_free(bml_classify_model *m) {
    if (!m) return;
    for (int i = 0; i < m->n_copies; i++)
        bml_classify__learner_free(&m->copy[i]);
    for (int i = 0; i < m->n_members; i++)
        bml_classify_model_free(m->member[i]);
    for (int i = 0; i < BML_CLASSIFY__MAX_CLASSES; i++) {
        BML_CLASSIFY_FREE(m->knot_x[i]);
        BML_CLASSIFY_FREE(m->knot[i]);
    }
    BML_CLASSIFY_FREE(m->copy);
    BML_CLASSIFY_FREE(m->member);
    BML_CLASSIFY_FREE(m->weight);
    BML_CLASSIFY_FREE(m->column);
    BML_CLASSIFY_FREE(m->mean);
    BML_CLASSIFY_FREE(m->scale);
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
    for (int k = 1; k < n_class; k++)
        if (p[k] > p[best]) best = k;
    return p[best] >= confidence ? best : -1;
}

/* *to = the default where it is 0; 0 when it is not above 0 then. */
static int bml_classify__preset(int *to, int preset) {
    if (!*to) *to = preset;
    return *to > 0;
}

static int bml_classify__preset_real(double *to, double preset) {
    if (!(*to < 0) && !(*to > 0)) *to = isnan(*to) ? *to : preset;
    return *to > 0 && *to < DBL_MAX;
}

/* Every default in one place. d is the number of features in use. */
static int bml_classify__resolve(bml_classify_config *c, const bml_classify_config *given, int d, char *why) {
    int kernel = given->model == BML_CLASSIFY_KERNEL;
    *c = *given;
    int net = c->model == BML_CLASSIFY_DNN || c->model == BML_CLASSIFY_RNN || c->model == BML_CLASSIFY_BNN;
    int forest = c->model == BML_CLASSIFY_FOREST;
    int boost = c->model == BML_CLASSIFY_BOOST;
    int bnn = c->model == BML_CLASSIFY_BNN;
    int rnn = c->model == BML_CLASSIFY_RNN;
    int ok = c->model >= 0 && c->model < BML_CLASSIFY_N_MODELS && c->smote >= 0 &&
             c->smote <= BML_CLASSIFY_SMOTE_FULL && c->calibrate >= 0 && c->calibrate <= BML_CLASSIFY_ISOTONIC;
    ok = ok && bml_classify__preset(&c->copies, 1) && bml_classify__preset(&c->folds, 5) && c->folds > 1;
    ok = ok && (net ? c->l2 >= 0 && c->l2 < DBL_MAX
                    : bml_classify__preset_real(&c->l2, forest   ? 1e-9
                                                        : boost  ? 3
                                                        : kernel ? 0.05
                                                                 : 1));
    ok = ok && bml_classify__preset_real(&c->scale, 1.5) && bml_classify__preset(&c->centres, 200);
    ok = ok && bml_classify__preset(&c->trees, forest ? 300 : 150) && bml_classify__preset(&c->depth, forest ? 20 : 3);
    ok = ok && c->trees <= 1000000 && c->depth <= 64 && c->copies <= 10000;
    ok = ok && bml_classify__preset(&c->min_leaf, forest ? 2 : 10);
    ok = ok && bml_classify__preset_real(&c->rate, boost ? 0.08 : bnn || rnn ? 0.001 : 0.01);
    ok = ok && bml_classify__preset_real(&c->row_share, 0.7) && c->row_share <= 1;
    ok = ok && bml_classify__preset_real(&c->column_share, forest ? sqrt((double)d) / d : 0.5) && c->column_share <= 1;
    ok =
        ok && bml_classify__preset(&c->epochs, bnn ? 250 : 50) && bml_classify__preset(&c->batch, bnn || rnn ? 32 : 64);
    ok = ok && bml_classify__preset(&c->hidden, rnn ? 8 : 16) && bml_classify__preset(&c->draws, 500);
    if (ok && c->model == BML_CLASSIFY_STACK) ok = c->member && c->n_members > 0 && c->n_members <= 1000;
    if (ok) return BML_CLASSIFY_OK;
    return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "a setting of the %s model is out of range",
                              bml_classify_model_name(c->model));
}

/* The features in use, and their means and sds over the training rows. */
static int bml_classify__scale(bml_classify_model *m, const bml_classify_config *c, const bml_classify_data *data,
                               const int *rows, int n_rows, char *why) {
    m->column = bml_classify__ints(m->d);
    m->mean = bml_classify__doubles(m->d, 1);
    m->scale = bml_classify__doubles(m->d, 1);
    if (!m->column || !m->mean || !m->scale) return bml_classify__no_memory(why);
    for (int j = 0; j < m->d; j++) {
        int at = m->column[j] = c->columns ? c->columns[j] : j;
        int n = 0;
        double sum = 0;
        double var = 0;
        double size = 0;
        if (at < 0 || at >= data->d) return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "no feature %d", at);
        for (int i = 0; i < n_rows; i++) {
            double v = data->x[(size_t)rows[i] * (size_t)data->d + (size_t)at];
            if (isinf(v))
                return bml_classify__fail(why, BML_CLASSIFY_BAD_VALUE, "row %d, feature %d: infinite", rows[i] + 1,
                                          at + 1);
            if (!isnan(v)) {
                sum += v;
                size = fabs(v) > size ? fabs(v) : size;
                n++;
            }
        }
        if (!n && data->feature)
            return bml_classify__fail(why, BML_CLASSIFY_EMPTY_COLUMN, "feature %d, '%.47s': NaN in every training row",
                                      at + 1, data->feature[at]);
        if (!n)
            return bml_classify__fail(why, BML_CLASSIFY_EMPTY_COLUMN, "feature %d: NaN in every training row", at + 1);
        m->mean[j] = sum / n;
        for (int i = 0; i < n_rows; i++) {
            double v = data->x[(size_t)rows[i] * (size_t)data->d + (size_t)at] - m->mean[j];
            if (!isnan(v)) var += v / size * (v / size); /* fluxes of 1e-200 have squares too */
        }
        var = size > 0 ? sqrt(var / n) : 0;
        m->scale[j] = var > 1e-12 ? 1 / (var * size) : 0; /* below: constant, but for rounding */
    }
    return BML_CLASSIFY_OK;
}

/* z[n_rows][d] of rows[n_rows] (NULL: 0 ... n_rows-1). */
static void bml_classify__gather(double *z, const bml_classify_model *m, const bml_classify_data *data, const int *rows,
                                 int n_rows) {
    for (int i = 0; i < n_rows; i++) {
        const double *x = data->x + (size_t)(rows ? rows[i] : i) * (size_t)data->d;
        for (int j = 0; j < m->d; j++) {
            double v = (x[m->column[j]] - m->mean[j]) * m->scale[j];
            *z++ = isfinite(v) ? v : 0;
        }
    }
}

/* One model that is no stack: scaling, balance, and its copies. */
static int bml_classify__fit_single(bml_classify_model *m, const bml_classify_config *c, const bml_classify_data *data,
                                    const int *rows, int n_rows, char *why) {
    int have[BML_CLASSIFY__MAX_CLASSES] = {0};
    int status = bml_classify__scale(m, c, data, rows, n_rows, why);
    if (status) return status;
    bml_classify__sample s;
    memset(&s, 0, sizeof s);
    s.n = n_rows;
    s.d = m->d;
    s.n_class = m->n_class;
    s.z = bml_classify__doubles(n_rows, m->d);
    s.y = bml_classify__ints(n_rows);
    int *group = bml_classify__ints(m->d);
    m->copy = (bml_classify__learner *)bml_classify__alloc((size_t)c->copies, sizeof *m->copy, 1);
    if (!s.z || !s.y || !group || !m->copy) status = bml_classify__no_memory(why);
    if (!status) bml_classify__gather(s.z, m, data, rows, n_rows);
    for (int i = 0; i < n_rows && !status; i++)
        have[s.y[i] = data->y[rows[i]]]++;
    for (int i = 0; i < m->d && !status; i++)
        group[i] = data->group ? data->group[m->column[i]] : BML_CLASSIFY_ENERGY;
    s.group = group;
    if (!status) status = bml_classify__smote(&s, have, c, c->seed, why);
    if (!status) status = bml_classify__weights(&s, c->class_weights, why);
    for (int i = 0; i < c->copies && !status; i++) {
        m->n_copies = i + 1; /* also a half-made one is freed */
        status = bml_classify__learn(&m->copy[i], c, &s, c->seed + (uint64_t)i * 0x9E3779B97F4A7C15u, why);
    }
    BML_CLASSIFY_FREE(s.z);
    BML_CLASSIFY_FREE(s.y);
    BML_CLASSIFY_FREE(s.w);
    BML_CLASSIFY_FREE(group);
    return status;
}

static int bml_classify__make(bml_classify_model **model, const bml_classify_config *config,
                              const bml_classify_data *data, const int *rows, int n_rows, char *why);

/* p[n_rows][n_class]: each row's probabilities by a model fitted to the other folds of rows[n_rows]. */
static int bml_classify__out_of_fold(double *p, const bml_classify_config *config, const bml_classify_data *data,
                                     const int *rows, const int *fold, int n_rows, int n_folds, char *why) {
    int *list = bml_classify__ints(n_rows);
    int *in = list ? bml_classify__ints(n_rows) : NULL;
    int status = BML_CLASSIFY_OK;
    double *q = bml_classify__doubles(n_rows, data->n_class);
    if (!list || !in || !q) status = bml_classify__no_memory(why);
    for (int f = 0; f < n_folds && !status; f++) {
        bml_classify_model *m = NULL;
        int train = 0;
        int test = 0;
        for (int i = 0; i < n_rows; i++)
            if (fold[i] != f && fold[i] >= 0) list[train++] = rows ? rows[i] : i;
        status = bml_classify__make(&m, config, data, list, train, why);
        for (int i = 0; i < n_rows; i++)
            if (fold[i] == f) {
                list[test] = rows ? rows[i] : i;
                in[test++] = i;
            }
        if (!status) status = bml_classify_predict(q, NULL, m, data, list, test);
        for (int i = 0; i < test && !status; i++)
            for (int k = 0; k < data->n_class; k++)
                p[in[i] * data->n_class + k] = q[i * data->n_class + k];
        bml_classify_model_free(m);
        if (!status && config->progress && config->progress((f + 1.0) / (n_folds + 1), config->progress_user))
            status = bml_classify__fail(why, BML_CLASSIFY_CANCELLED, "cancelled");
    }
    BML_CLASSIFY_FREE(list);
    BML_CLASSIFY_FREE(in);
    BML_CLASSIFY_FREE(q);
    return status;
}

/* The weights' prior: as if each member had been right about that many rows more. Some hundred rows alone cannot tell
   good members apart, and would give all the weight to the luckiest. */
static const double bml_classify__prior = 20;

/* weight[n] of a mixture of p[n][n_rows][n_class] that maximises the log likelihood of y[n_rows] with the prior above.
   */
static void bml_classify__mix(double *weight, const double *p, int n, const int *y, int n_rows, int n_class) {
    double next[1000];
    for (int m = 0; m < n; m++)
        weight[m] = 1.0 / n;
    for (int round = 0; round < 300; round++) {
        for (int m = 0; m < n; m++)
            next[m] = 0;
        for (int i = 0; i < n_rows; i++) {
            double sum = 1e-300;
            for (int m = 0; m < n; m++)
                sum += weight[m] * p[((size_t)m * (size_t)n_rows + (size_t)i) * (size_t)n_class + (size_t)y[i]];
            for (int m = 0; m < n; m++)
                next[m] +=
                    weight[m] * p[((size_t)m * (size_t)n_rows + (size_t)i) * (size_t)n_class + (size_t)y[i]] / sum;
        }
        for (int m = 0; m < n; m++)
            weight[m] = (next[m] + bml_classify__prior) / (n_rows + n * bml_classify__prior);
    }
}

/* Learns the calibration from out-of-fold p[n][n_class] with labels y[n]. */
static int bml_classify__learn_calibration(bml_classify_model *m, const double *p, const int *y, int n, char *why) {
    int status = BML_CLASSIFY_OK;
    if (m->calibrate == BML_CLASSIFY_TEMPERATURE) m->temperature = bml_classify_temperature(p, y, n, m->n_class);
    if (m->calibrate != BML_CLASSIFY_ISOTONIC) return BML_CLASSIFY_OK;
    double *score = bml_classify__doubles(n, 1);
    int *is = bml_classify__ints(n);
    if (!score || !is) status = bml_classify__no_memory(why);
    for (int k = 0; k < m->n_class && !status; k++) {
        m->knot_x[k] = bml_classify__doubles(n, 1);
        m->knot[k] = bml_classify__doubles(n, 1);
        if (!m->knot_x[k] || !m->knot[k]) status = bml_classify__no_memory(why);
        for (int i = 0; i < n && !status; i++) {
            score[i] = p[i * m->n_class + k];
            is[i] = y[i] == k;
        }
        if (!status) status = bml_classify_isotonic(m->knot_x[k], m->knot[k], &m->n_knots[k], score, is, n);
    }
    BML_CLASSIFY_FREE(score);
    BML_CLASSIFY_FREE(is);
    return status;
}

/* Weights of a stack and calibration, from inner folds. */
static int bml_classify__fit_outer(bml_classify_model *m, const bml_classify_config *c, const bml_classify_data *data,
                                   const int *rows, int n_rows, char *why) {
    int stack = c->model == BML_CLASSIFY_STACK;
    int n = stack ? c->n_members : 1;
    size_t one = (size_t)n_rows * (size_t)m->n_class;
    double *p = (double *)bml_classify__alloc(one, (size_t)n + 1, sizeof *p);
    double *mixed = p ? p + one * (size_t)n : NULL;
    int *fold = bml_classify__ints(n_rows);
    int *y = bml_classify__ints(n_rows);
    int status = p && fold && y ? BML_CLASSIFY_OK : bml_classify__no_memory(why);
    if (!status) status = bml_classify_folds(fold, data, rows, n_rows, c->folds, c->seed, why);
    for (int a = 0; a < n && !status; a++) {
        bml_classify_config plain = stack ? c->member[a] : *c;
        plain.calibrate = stack ? plain.calibrate : BML_CLASSIFY_NO_CALIBRATION;
        if (stack) {
            plain.progress = c->progress;
            plain.progress_user = c->progress_user;
            plain.seed += c->seed;
        }
        status = bml_classify__out_of_fold(p + one * (size_t)a, &plain, data, rows, fold, n_rows, c->folds, why);
    }
    for (int i = 0; i < n_rows && !status; i++)
        y[i] = data->y[rows[i]];
    if (!status && stack) bml_classify__mix(m->weight, p, n, y, n_rows, m->n_class);
    for (int i = 0; i < n_rows && !status; i++)
        for (int k = 0; k < m->n_class; k++)
            for (int a = 0; a < n; a++)
                mixed[i * m->n_class + k] +=
                    (stack ? m->weight[a] : 1) * p[one * (size_t)a + (size_t)(i * m->n_class + k)];
    if (!status) status = bml_classify__learn_calibration(m, mixed, y, n_rows, why);
    BML_CLASSIFY_FREE(p);
    BML_CLASSIFY_FREE(fold);
    BML_CLASSIFY_FREE(y);
    return status;
}

static int bml_classify__fit_stack(bml_classify_model *m, const bml_classify_config *c, const bml_classify_data *data,
                                   const int *rows, int n_rows, char *why) {
    m->member = (bml_classify_model **)bml_classify__alloc((size_t)c->n_members, sizeof *m->member, 1);
    m->weight = bml_classify__doubles(c->n_members, 1);
    if (!m->member || !m->weight) return bml_classify__no_memory(why);
    m->n_members = c->n_members;
    int i;
    int status;
    for (i = 0, status = BML_CLASSIFY_OK; i < c->n_members && !status; i++) {
        bml_classify_config member = c->member[i];
        if (member.model == BML_CLASSIFY_STACK)
            return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "a stack of stacks");
        member.seed += c->seed;
        status = bml_classify__make(&m->member[i], &member, data, rows, n_rows, why);
    }
    return status;
}

/* As bml_classify_fit, on rows that are known to be good. */
static int bml_classify__make(bml_classify_model **model, const bml_classify_config *config,
                              const bml_classify_data *data, const int *rows, int n_rows, char *why) {
    bml_classify_model *m = (bml_classify_model *)bml_classify__alloc(1, sizeof *m, 1);
    *model = NULL;
    if (!m) return bml_classify__no_memory(why);
    m->n_class = data->n_class;
    m->d_data = data->d;
    m->temperature = 1;
    m->d = config->columns ? config->n_columns : data->d;
    bml_classify_config c;
    int status = m->d > 0 ? bml_classify__resolve(&c, config, m->d, why)
                          : bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "no features");
    if (!status) {
        m->kind = c.model;
        m->calibrate = c.calibrate;
        status = c.model == BML_CLASSIFY_STACK ? bml_classify__fit_stack(m, &c, data, rows, n_rows, why)
                                               : bml_classify__fit_single(m, &c, data, rows, n_rows, why);
    }
    if (!status && (m->calibrate || m->kind == BML_CLASSIFY_STACK))
        status = bml_classify__fit_outer(m, &c, data, rows, n_rows, why);
    if (status)
        bml_classify_model_free(m);
    else
        *model = m;
    return status;
}

BML_CLASSIFY_DEF int bml_classify_fit(bml_classify_model **model, const bml_classify_config *config,
                                      const bml_classify_data *data, const int *rows, int n_rows, char *why) {
    int *list = NULL;
    int *y = NULL;
    int n = 0;
    if (model) *model = NULL;
    if (!model || !config || (rows && n_rows < 1))
        return bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "model, config or rows are missing");
    int status = bml_classify__check_data(data, why);
    if (status) return status;
    if (!rows) n_rows = data->n;
    list = bml_classify__ints(n_rows);
    y = bml_classify__ints(n_rows);
    if (!list || !y) status = bml_classify__no_memory(why);
    for (int i = 0; i < n_rows && !status; i++) {
        int r = rows ? rows[i] : i;
        if (r < 0 || r >= data->n)
            status = bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "there is no row %d", r);
        else if (data->y[r] >= 0) {
            list[n] = r;
            y[n++] = data->y[r];
        } else if (rows)
            status = bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "row %d has no label", r);
    }
    if (!status) status = bml_classify__check_classes(y, n, data->n_class, "training rows", why);
    if (!status) status = bml_classify__make(model, config, data, list, n, why);
    BML_CLASSIFY_FREE(list);
    BML_CLASSIFY_FREE(y);
    return status;
}

/* >> predicting */

/* p[k] -> p[k]^(1/T)/sum; sd follows for two classes by the derivative. */
static void bml_classify__cool(double *p, double *sd, int n_class, double temperature) {
    double q[BML_CLASSIFY__MAX_CLASSES];
    for (int k = 0; k < n_class; k++)
        q[k] = log(p[k] > 1e-300 ? p[k] : 1e-300) / temperature;
    if (n_class == 2) q[0] = q[1] - q[0];
    double slope = n_class == 2 && p[0] * p[1] > 0 ? 1 / (temperature * p[0] * p[1]) : 0;
    bml_classify__softmax(p, q, n_class);
    if (n_class == 2 && sd && slope > 0)
        for (int k = 0; k < 2; k++)
            sd[k] *= slope * p[0] * p[1];
}

static void bml_classify__calibrate(double *p, double *sd, const bml_classify_model *m) {
    double sum = 0;
    if (m->calibrate == BML_CLASSIFY_TEMPERATURE) bml_classify__cool(p, sd, m->n_class, m->temperature);
    if (m->calibrate != BML_CLASSIFY_ISOTONIC) return;
    for (int k = 0; k < m->n_class; k++)
        sum += p[k] = bml_classify_isotonic_at(m->knot_x[k], m->knot[k], m->n_knots[k], p[k]);
    for (int k = 0; k < m->n_class; k++)
        p[k] = sum > 0 ? p[k] / sum : 1.0 / m->n_class;
}

/* Adds weight times q, and of its square and variance, to the sums: total[count], square[count]. */
static void bml_classify__accumulate(double *total, double *square, const double *q, const double *s, int count,
                                     double weight) {
    for (int i = 0; i < count; i++) {
        total[i] += weight * q[i];
        if (square) square[i] += weight * (q[i] * q[i] + (s ? s[i] * s[i] : 0));
    }
}

/* p and sd of the copies or members: their weighted mean, and the scatter between them with that within. */
static int bml_classify__predict_all(double *p, double *sd, const bml_classify_model *m, const bml_classify_data *data,
                                     const int *rows, int n) {
    int parts = m->n_members ? m->n_members : m->n_copies;
    int count = n * m->n_class;
    int status = BML_CLASSIFY_OK;
    double *q = bml_classify__doubles(n, m->n_class);
    double *s = sd ? bml_classify__doubles(n, m->n_class) : NULL;
    double *z = m->n_members ? NULL : bml_classify__doubles(n, m->d);
    if (!q || (sd && !s) || (!m->n_members && !z))
        status = BML_CLASSIFY_NO_MEMORY;
    else if (z)
        bml_classify__gather(z, m, data, rows, n);
    memset(p, 0, (size_t)count * sizeof *p);
    if (sd) memset(sd, 0, (size_t)count * sizeof *sd);
    for (int a = 0; a < parts && !status; a++) {
        status = m->n_members ? bml_classify_predict(q, s, m->member[a], data, rows, n)
                              : bml_classify__ask(q, s, &m->copy[a], z, n);
        for (int i = 0; i < count && s && parts > 1; i++)
            if (isnan(s[i])) s[i] = 0; /* unknown within, known between */
        if (!status) bml_classify__accumulate(p, sd, q, s, count, m->n_members ? m->weight[a] : 1.0 / parts);
    }
    for (int i = 0; i < count && !status; i++) {
        double var = sd ? sd[i] - p[i] * p[i] : 0;
        if (sd) sd[i] = isnan(var) ? var : sqrt(var > 0 ? var : 0);
        if (p[i] > 1) p[i] = 1; /* a mean of ones may round upwards */
    }
    BML_CLASSIFY_FREE(q);
    BML_CLASSIFY_FREE(s);
    BML_CLASSIFY_FREE(z);
    return status;
}

BML_CLASSIFY_DEF int bml_classify_predict(double *p, double *sd, const bml_classify_model *model,
                                          const bml_classify_data *data, const int *rows, int n_rows) {
    if (!p || !model || !data || data->d != model->d_data || data->n_class != model->n_class || n_rows < 0)
        return BML_CLASSIFY_BAD_ARGUMENT;
    if (!rows && n_rows > data->n) return BML_CLASSIFY_BAD_ARGUMENT;
    for (int i = 0; i < n_rows && rows; i++)
        if (rows[i] < 0 || rows[i] >= data->n) return BML_CLASSIFY_BAD_ARGUMENT;
    int status = bml_classify__predict_all(p, sd, model, data, rows, n_rows);
    for (int i = 0; i < n_rows && !status; i++)
        bml_classify__calibrate(p + (size_t)i * (size_t)model->n_class,
                                sd ? sd + (size_t)i * (size_t)model->n_class : NULL, model);
    return status;
}

/* >> metrics

   All of them go once through the rows in falling order of the score, in groups of equal scores: ties are exact. */

/* Rows with a label, highest score first; their number, or a status. NaN scores are refused. */
static int bml_classify__ranked(bml_classify__keyed **sorted, const double *score, const int *y, const double *w,
                                int n) {
    int m = 0;
    bml_classify__keyed *s = NULL;
    *sorted = NULL;
    if (!score || !y || n < 1) return BML_CLASSIFY_BAD_ARGUMENT;
    s = (bml_classify__keyed *)bml_classify__alloc((size_t)n, sizeof *s, 1);
    if (!s) return BML_CLASSIFY_NO_MEMORY;
    for (int i = 0; i < n; i++) {
        if (y[i] < 0) continue;
        if (isnan(score[i]) || y[i] > 1 || (w && !(w[i] >= 0 && w[i] < DBL_MAX))) {
            BML_CLASSIFY_FREE(s);
            return BML_CLASSIFY_BAD_ARGUMENT;
        }
        s[m].key = -score[i];
        s[m++].index = i;
    }
    qsort(s, (size_t)m, sizeof *s, bml_classify__by_key);
    *sorted = s;
    return m;
}

/* Adds the group of equal scores that begins at i to the weights above the threshold; returns where the next begins. */
static int bml_classify__group(double *positive, double *negative, const bml_classify__keyed *s, int i, int m,
                               const int *y, const double *w) {
    double at = s[i].key;
    for (; i < m && !(s[i].key > at); i++)
        *(y[s[i].index] ? positive : negative) += w ? w[s[i].index] : 1;
    return i;
}

BML_CLASSIFY_DEF double bml_classify_auc(const double *score, const int *y, const double *w, int n) {
    bml_classify__keyed *s;
    double tp = 0;
    double fp = 0;
    double area = 0;
    int m = bml_classify__ranked(&s, score, y, w, n);
    int i = 0;
    while (i < m) {
        double tp0 = tp;
        double fp0 = fp;
        i = bml_classify__group(&tp, &fp, s, i, m, y, w);
        area += (fp - fp0) * 0.5 * (tp + tp0);
    }
    BML_CLASSIFY_FREE(s);
    return m > 0 && tp > 0 && fp > 0 ? area / (tp * fp) : BML_CLASSIFY__NAN;
}

BML_CLASSIFY_DEF double bml_classify_pr_auc(const double *score, const int *y, const double *w, int n) {
    bml_classify__keyed *s;
    double tp = 0;
    double fp = 0;
    double area = 0;
    int m = bml_classify__ranked(&s, score, y, w, n);
    int i = 0;
    while (i < m) {
        double tp0 = tp;
        i = bml_classify__group(&tp, &fp, s, i, m, y, w);
        if (tp > tp0) area += (tp - tp0) * tp / (tp + fp);
    }
    BML_CLASSIFY_FREE(s);
    return m > 0 && tp > 0 && fp > 0 ? area / tp : BML_CLASSIFY__NAN;
}

BML_CLASSIFY_DEF int bml_classify_curve(double *threshold, double *false_positive, double *true_positive,
                                        double *precision, const double *score, const int *y, const double *w, int n) {
    bml_classify__keyed *s;
    double tp = 0;
    double fp = 0;
    int m = bml_classify__ranked(&s, score, y, w, n);
    int i = 0;
    int k = 0;
    if (m < 0) return m;
    threshold[0] = BML_CLASSIFY__INF;
    false_positive[0] = true_positive[0] = 0;
    precision[0] = 1;
    while (i < m) {
        double at = -s[i].key;
        i = bml_classify__group(&tp, &fp, s, i, m, y, w);
        threshold[++k] = at;
        false_positive[k] = fp;
        true_positive[k] = tp;
        precision[k] = tp + fp > 0 ? tp / (tp + fp) : 1;
    }
    BML_CLASSIFY_FREE(s);
    if (!(tp > 0 && fp > 0)) return BML_CLASSIFY_ONE_CLASS;
    for (int a = 0; a <= k; a++) {
        false_positive[a] /= fp;
        true_positive[a] /= tp;
    }
    return k + 1;
}

/* [4][n + 1]: threshold, false positive, true positive, precision; *points as above. NULL when that is a status. */
static double *bml_classify__curve(int *points, const double *score, const int *y, const double *w, int n) {
    double *c = n > 0 ? bml_classify__doubles(4, n + 1) : NULL;
    *points = BML_CLASSIFY_NO_MEMORY;
    if (c) *points = bml_classify_curve(c, c + n + 1, c + 2 * (n + 1), c + 3 * (n + 1), score, y, w, n);
    if (*points > 0) return c;
    BML_CLASSIFY_FREE(c);
    return NULL;
}

BML_CLASSIFY_DEF double bml_classify_nearest_threshold(const double *score, const int *y, const double *w, int n) {
    int points;
    int best = 0;
    double *c = bml_classify__curve(&points, score, y, w, n);
    double nearest = 9;
    if (!c) return BML_CLASSIFY__NAN;
    for (int k = 0; k < points; k++) {
        double fp = c[n + 1 + k];
        double miss = 1 - c[2 * (n + 1) + k];
        double r = fp * fp + miss * miss;
        if (r < nearest) {
            nearest = r;
            best = k;
        }
    }
    double at = best + 1 < points && best > 0 ? 0.5 * (c[best] + c[best + 1]) : c[best];
    BML_CLASSIFY_FREE(c);
    return at;
}

BML_CLASSIFY_DEF int bml_classify_cost_curve(double *cost, int n_points, const double *score, const int *y,
                                             const double *w, int n) {
    if (!cost || n_points < 2) return BML_CLASSIFY_BAD_ARGUMENT;
    int points;
    double *c = bml_classify__curve(&points, score, y, w, n);
    if (!c) return points;
    for (int i = 0; i < n_points; i++) {
        double pc = (double)i / (n_points - 1);
        cost[i] = 1;
        for (int k = 0; k < points; k++) {
            double at = (1 - c[2 * (n + 1) + k]) * pc + c[n + 1 + k] * (1 - pc);
            cost[i] = at < cost[i] ? at : cost[i];
        }
    }
    BML_CLASSIFY_FREE(c);
    return BML_CLASSIFY_OK;
}

/* component[n]: for each row of class 1 the share of class 0 that scores below it, ties one half; for each of class 0
   the share of class 1 above it. Their means are the AUC (DeLong et al. 1988, eq. 5-6). */
static int bml_classify__components(double *component, const double *score, const int *y, int n) {
    bml_classify__keyed *s;
    double total[2] = {0, 0};
    double seen[2] = {0, 0};
    int m = bml_classify__ranked(&s, score, y, NULL, n);
    int i = 0;
    for (int k = 0; k < m; k++)
        total[y[s[k].index]] += 1;
    while (i < m) { /* from the highest */
        double here[2] = {0, 0};
        int end = bml_classify__group(&here[1], &here[0], s, i, m, y, NULL);
        for (int k = i; k < end; k++) {
            int of = y[s[k].index];
            double above = seen[1 - of] + 0.5 * here[1 - of];
            component[s[k].index] = of ? 1 - above / total[0] : above / total[1];
        }
        seen[0] += here[0];
        seen[1] += here[1];
        i = end;
    }
    BML_CLASSIFY_FREE(s);
    if (m < 0) return m;
    return total[0] < 1 || total[1] < 1   ? BML_CLASSIFY_ONE_CLASS
           : total[0] < 2 || total[1] < 2 ? BML_CLASSIFY_TOO_FEW
                                          : 0;
}

BML_CLASSIFY_DEF int bml_classify_delong(double *auc, double *covariance, const double *scores, int n_scores,
                                         const int *y, int n) {
    int status = BML_CLASSIFY_OK;
    if (!auc || !covariance || !scores || !y || n_scores < 1 || n < 1) return BML_CLASSIFY_BAD_ARGUMENT;
    double *c = bml_classify__doubles(n_scores, n);
    if (!c) return BML_CLASSIFY_NO_MEMORY;
    for (int a = 0; a < n_scores && !status; a++)
        status = bml_classify__components(c + (size_t)a * (size_t)n, scores + (size_t)a * (size_t)n, y, n);
    for (int a = 0; a < n_scores && !status; a++)
        for (int b = 0; b <= a; b++) {
            double sum = 0;
            for (int of = 0; of < 2; of++) {
                double mean_a = 0;
                double mean_b = 0;
                double product = 0;
                double count = 0;
                const double *u = c + (size_t)a * (size_t)n;
                const double *v = c + (size_t)b * (size_t)n;
                for (int i = 0; i < n; i++)
                    if (y[i] == of) {
                        mean_a += u[i];
                        mean_b += v[i];
                        count += 1;
                    }
                mean_a /= count;
                mean_b /= count;
                for (int i = 0; i < n; i++)
                    if (y[i] == of) product += (u[i] - mean_a) * (v[i] - mean_b);
                sum += product / (count - 1) / count;
                auc[a] = a == b ? mean_a : auc[a];
            }
            covariance[a * n_scores + b] = covariance[b * n_scores + a] = sum;
        }
    BML_CLASSIFY_FREE(c);
    return status;
}

static int bml_classify__winner(const double *p, int n_class, double threshold) {
    int best = 0;
    if (n_class == 2) return p[1] >= threshold;
    for (int k = 1; k < n_class; k++)
        if (p[k] > p[best]) best = k;
    return best;
}

BML_CLASSIFY_DEF void bml_classify_confusion(double *matrix, const double *p, const int *y, const double *w, int n,
                                             int n_class, double threshold) {
    if (isnan(threshold)) threshold = 0.5;
    for (int i = 0; i < n_class * n_class; i++)
        matrix[i] = 0;
    for (int i = 0; i < n; i++)
        if (y[i] >= 0)
            matrix[y[i] * n_class + bml_classify__winner(p + (size_t)i * (size_t)n_class, n_class, threshold)] +=
                w ? w[i] : 1;
}

BML_CLASSIFY_DEF void bml_classify_calibration_curve(double *mean, double *fraction, double *weight, int n_bins,
                                                     const double *score, const int *y, const double *w, int n) {
    int b;
    for (b = 0; b < n_bins; b++)
        mean[b] = fraction[b] = weight[b] = 0;
    for (int i = 0; i < n; i++) {
        double one = w ? w[i] : 1;
        if (y[i] < 0 || !(score[i] >= 0 && score[i] <= 1)) continue;
        b = (int)(score[i] * n_bins);
        b = b < n_bins ? b : n_bins - 1;
        weight[b] += one;
        mean[b] += one * score[i];
        fraction[b] += one * (y[i] == 1);
    }
    for (b = 0; b < n_bins; b++) {
        mean[b] = weight[b] > 0 ? mean[b] / weight[b] : BML_CLASSIFY__NAN;
        fraction[b] = weight[b] > 0 ? fraction[b] / weight[b] : BML_CLASSIFY__NAN;
    }
}

BML_CLASSIFY_DEF double bml_classify_kappa(const int *a, const int *b, int n, int n_class) {
    double agree = 0;
    double chance = 0;
    double total = 0;
    for (int i = 0; i < n; i++)
        if (a[i] >= 0 && b[i] >= 0) {
            total += 1;
            agree += a[i] == b[i];
        }
    for (int k = 0; k < n_class; k++) {
        double in_a = 0;
        double in_b = 0;
        for (int i = 0; i < n; i++)
            if (a[i] >= 0 && b[i] >= 0) {
                in_a += a[i] == k;
                in_b += b[i] == k;
            }
        if (total > 0) chance += in_a / total * (in_b / total);
    }
    if (!(total > 0) || !(chance < 1)) return BML_CLASSIFY__NAN;
    return (agree / total - chance) / (1 - chance);
}

BML_CLASSIFY_DEF void bml_classify_mean_sd(double *mean, double *sd, const double *values, int n) {
    double sum = 0;
    double square = 0;
    for (int i = 0; i < n; i++)
        sum += values[i];
    *mean = n > 0 ? sum / n : BML_CLASSIFY__NAN;
    for (int i = 0; i < n; i++)
        square += (values[i] - *mean) * (values[i] - *mean);
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
        for (int l = 0; l < n_class; l++) {
            row += matrix[k * n_class + l];
            column += matrix[l * n_class + k];
        }
        right += matrix[k * n_class + k];
        total += row;
        double both = row + column > 0 ? 2 * matrix[k * n_class + k] / (row + column) : 0;
        if (row > 0) {
            recall += matrix[k * n_class + k] / row;
            present++;
        }
        if (n_class > 2 && row > 0)
            f1 += both;
        else if (n_class == 2 && k == 1)
            f1 = both;
    }
    s->n = total;
    s->accuracy = right / total;
    s->balanced_accuracy = recall / present;
    s->f1 = n_class > 2 ? f1 / present : f1;
}

/* Brier score and log loss. */
static void bml_classify__score_loss(bml_classify_scores *s, const double *p, const int *y, const double *w, int n,
                                     int n_class) {
    double brier = 0;
    double loss = 0;
    for (int i = 0; i < n; i++, p += n_class) {
        double one = w && y[i] >= 0 ? w[i] : 1;
        double square = 0;
        if (y[i] < 0) continue;
        for (int k = 0; k < n_class; k++)
            square += (p[k] - (y[i] == k)) * (p[k] - (y[i] == k));
        brier += one * square / (n_class == 2 ? 2 : 1);
        loss -= one * log(p[y[i]] > 1e-15 ? p[y[i]] : 1e-15);
    }
    s->brier = brier / s->n;
    s->log_loss = loss / s->n;
}

/* Areas, threshold and calibration error, from score[n] of class 1 (is[n] 0 or 1), each class against the rest. */
static int bml_classify__score_ranks(bml_classify_scores *s, double *score, int *is, const double *p, const int *y,
                                     const double *w, int n, int n_class) {
    double mean[10];
    double fraction[10];
    double weight[10];
    double error = 0;
    int present = 0;
    for (int k = n_class == 2 ? 1 : 0; k < n_class; k++) {
        for (int i = 0; i < n; i++) {
            score[i] = p[i * n_class + k];
            is[i] = y[i] < 0 ? -1 : y[i] == k;
        }
        double auc = bml_classify_auc(score, is, w, n);
        if (isnan(auc) && n_class > 2) continue; /* a class that is absent */
        s->auc += auc;
        s->pr_auc += bml_classify_pr_auc(score, is, w, n);
        present++;
    }
    s->auc = present ? s->auc / present : BML_CLASSIFY__NAN;
    s->pr_auc = present ? s->pr_auc / present : BML_CLASSIFY__NAN;
    s->auc_error = s->threshold = BML_CLASSIFY__NAN;
    if (n_class == 2) s->threshold = bml_classify_nearest_threshold(score, is, w, n);
    if (n_class == 2 && !w) {
        double var;
        double auc;
        int status = bml_classify_delong(&auc, &var, score, 1, is, n);
        if (status == BML_CLASSIFY_NO_MEMORY) return status;
        if (!status) s->auc_error = sqrt(var);
    }
    for (int i = 0; i < n && n_class > 2; i++) { /* the highest probability, and whether it was right */
        int best = bml_classify__winner(p + i * n_class, n_class, 0);
        score[i] = p[i * n_class + best];
        is[i] = y[i] < 0 ? -1 : y[i] == best;
    }
    bml_classify_calibration_curve(mean, fraction, weight, 10, score, is, w, n);
    for (int b = 0; b < 10; b++)
        if (weight[b] > 0) error += weight[b] * fabs(mean[b] - fraction[b]);
    s->calibration_error = error / s->n;
    return BML_CLASSIFY_OK;
}

BML_CLASSIFY_DEF int bml_classify_score(bml_classify_scores *s, const double *p, const int *y, const double *w, int n,
                                        int n_class) {
    double matrix[BML_CLASSIFY__MAX_CLASSES * BML_CLASSIFY__MAX_CLASSES];
    int labelled = 0;
    if (!s || !p || !y || n < 1 || n_class < 2 || n_class > BML_CLASSIFY__MAX_CLASSES) return BML_CLASSIFY_BAD_ARGUMENT;
    memset(s, 0, sizeof *s);
    for (int i = 0; i < n; i++) {
        if (y[i] < 0) continue;
        labelled++;
        if (y[i] >= n_class || (w && !(w[i] >= 0 && w[i] < DBL_MAX))) return BML_CLASSIFY_BAD_ARGUMENT;
        for (int k = 0; k < n_class; k++)
            if (!(p[i * n_class + k] >= 0 && p[i * n_class + k] <= 1)) return BML_CLASSIFY_BAD_ARGUMENT;
    }
    if (!labelled) return BML_CLASSIFY_TOO_FEW;
    bml_classify_confusion(matrix, p, y, w, n, n_class, BML_CLASSIFY__NAN);
    bml_classify__score_matrix(s, matrix, n_class);
    if (!(s->n > 0)) return BML_CLASSIFY_TOO_FEW;
    bml_classify__score_loss(s, p, y, w, n, n_class);
    double *score = bml_classify__doubles(n, 1);
    int *is = bml_classify__ints(n);
    int status = score && is ? bml_classify__score_ranks(s, score, is, p, y, w, n, n_class) : BML_CLASSIFY_NO_MEMORY;
    BML_CLASSIFY_FREE(score);
    BML_CLASSIFY_FREE(is);
    return status;
}

BML_CLASSIFY_DEF int bml_classify_cross_validate(bml_classify_scores *s, double *p, const bml_classify_config *config,
                                                 const bml_classify_data *data, int n_folds, char *why) {
    int status = bml_classify__check_data(data, why);
    double *q = NULL;
    if (!status && (!s || !config))
        status = bml_classify__fail(why, BML_CLASSIFY_BAD_ARGUMENT, "scores or config are missing");
    if (!status) status = bml_classify__check_classes(data->y, data->n, data->n_class, "cross validation", why);
    if (status) return status;
    int *fold = bml_classify__ints(data->n);
    q = p ? p : bml_classify__doubles(data->n, data->n_class);
    if (!fold || !q) status = bml_classify__no_memory(why);
    if (!status) status = bml_classify_folds(fold, data, NULL, data->n, n_folds, config->seed, why);
    for (int i = 0; i < data->n && !status; i++)
        for (int k = 0; k < data->n_class; k++)
            q[i * data->n_class + k] = BML_CLASSIFY__NAN;
    if (!status) status = bml_classify__out_of_fold(q, config, data, NULL, fold, data->n, n_folds, why);
    if (!status) {
        status = bml_classify_score(s, q, data->y, NULL, data->n, data->n_class);
        if (status) bml_classify__fail(why, status, "scores: %s", bml_classify_strerror(status));
    }
    BML_CLASSIFY_FREE(fold);
    if (q != p) BML_CLASSIFY_FREE(q);
    return status;
}

/* >> calibration */

/* Mean log loss of p^(1/T)/sum. */
static double bml_classify__loss_at(const double *p, const int *y, int n, int n_class, double temperature) {
    double q[BML_CLASSIFY__MAX_CLASSES];
    double loss = 0;
    int m = 0;
    for (int i = 0; i < n; i++, p += n_class) {
        if (y[i] < 0) continue;
        for (int k = 0; k < n_class; k++)
            q[k] = p[k];
        bml_classify__cool(q, NULL, n_class, temperature);
        loss -= log(q[y[i]] > 1e-300 ? q[y[i]] : 1e-300);
        m++;
    }
    return m ? loss / m : 0;
}

/* Golden section in log T: the loss is convex in 1/T, so it has one minimum. */
BML_CLASSIFY_DEF double bml_classify_temperature(const double *p, const int *y, int n, int n_class) {
    static const double golden = 0.6180339887498949;
    double lo = log(0.05);
    double hi = log(20.0);
    double a = hi - golden * (hi - lo);
    double b = lo + golden * (hi - lo);
    if (!p || !y || n < 1 || n_class < 2 || n_class > BML_CLASSIFY__MAX_CLASSES) return BML_CLASSIFY__NAN;
    double at_a = bml_classify__loss_at(p, y, n, n_class, exp(a));
    double at_b = bml_classify__loss_at(p, y, n, n_class, exp(b));
    while (hi - lo > 1e-6) {
        if (at_a < at_b) {
            hi = b;
            b = a;
            at_b = at_a;
            a = hi - golden * (hi - lo);
            at_a = bml_classify__loss_at(p, y, n, n_class, exp(a));
        } else {
            lo = a;
            a = b;
            at_a = at_b;
            b = lo + golden * (hi - lo);
            at_b = bml_classify__loss_at(p, y, n, n_class, exp(b));
        }
    }
    return exp(0.5 * (lo + hi));
}

/* Blocks of equal scores first, then neighbours that fall are pooled. A block's knot stands at its mean score. */
BML_CLASSIFY_DEF int bml_classify_isotonic(double *x, double *value, int *n_knots, const double *score, const int *y,
                                           int n) {
    int top = 0;
    if (!x || !value || !n_knots) return BML_CLASSIFY_BAD_ARGUMENT;
    bml_classify__keyed *s;
    int m = bml_classify__ranked(&s, score, y, NULL, n);
    if (m < 0) return m;
    double *count = m ? bml_classify__doubles(m, 1) : NULL;
    if (!count) {
        BML_CLASSIFY_FREE(s);
        return m ? BML_CLASSIFY_NO_MEMORY : BML_CLASSIFY_TOO_FEW;
    }
    for (int i = m - 1; i >= 0;) { /* lowest first */
        double positive = 0;
        double all = 0;
        double at = -s[i].key;
        for (; i >= 0 && !(s[i].key < -at); i--) {
            positive += y[s[i].index];
            all += 1;
        }
        x[top] = at;
        value[top] = positive / all;
        count[top++] = all;
        while (top > 1 && value[top - 2] >= value[top - 1]) {
            double sum = count[top - 2] + count[top - 1];
            x[top - 2] = (x[top - 2] * count[top - 2] + x[top - 1] * count[top - 1]) / sum;
            value[top - 2] = (value[top - 2] * count[top - 2] + value[top - 1] * count[top - 1]) / sum;
            count[top - 2] = sum;
            top--;
        }
    }
    *n_knots = top;
    BML_CLASSIFY_FREE(count);
    BML_CLASSIFY_FREE(s);
    return BML_CLASSIFY_OK;
}

BML_CLASSIFY_DEF double bml_classify_isotonic_at(const double *x, const double *value, int n_knots, double score) {
    int lo = 0;
    int hi = n_knots - 1;
    if (n_knots < 1 || isnan(score)) return BML_CLASSIFY__NAN;
    if (score <= x[0]) return value[0];
    if (score >= x[hi]) return value[hi];
    while (hi - lo > 1) {
        int middle = (lo + hi) / 2;
        if (x[middle] <= score)
            lo = middle;
        else
            hi = middle;
    }
    return value[lo] + (value[hi] - value[lo]) * (score - x[lo]) / (x[hi] - x[lo]);
}

/* >> explanation and domain */

/* What permutation lowers: the AUC of class 1, or the mean log likelihood. */
static double bml_classify__worth_of(const double *p, double *score, const int *y, int n, int n_class) {
    double sum = 0;
    if (n_class == 2) {
        for (int i = 0; i < n; i++)
            score[i] = p[2 * i + 1];
        return bml_classify_auc(score, y, NULL, n);
    }
    for (int i = 0; i < n; i++)
        sum += log(p[i * n_class + y[i]] > 1e-15 ? p[i * n_class + y[i]] : 1e-15) / n;
    return sum;
}

/* A copy of rows[n] of data, to be changed: x and y only. */
static int bml_classify__copy_rows(bml_classify_data *copy, const bml_classify_data *data, const int *rows, int n) {
    *copy = *data;
    copy->n = n;
    copy->source = NULL;
    copy->x = bml_classify__doubles(n, data->d);
    copy->y = bml_classify__ints(n);
    if (!copy->x || !copy->y) return 0;
    for (int i = 0; i < n; i++) {
        int r = rows ? rows[i] : i;
        memcpy(copy->x + (size_t)i * (size_t)data->d, data->x + (size_t)r * (size_t)data->d,
               (size_t)data->d * sizeof(double));
        copy->y[i] = data->y[r];
    }
    return 1;
}

/* The fall by shuffling feature j once; *status is set on failure. */
static double bml_classify__permute(const bml_classify_model *model, bml_classify_data *copy, int j, double *p,
                                    double *scratch, int *order, double best, bml_classify_rng *rng, int *status) {
    int n = copy->n;
    for (int i = 0; i < n; i++) {
        order[i] = i;
        scratch[i] = copy->x[(size_t)i * (size_t)copy->d + (size_t)j];
    }
    bml_classify__shuffle(order, n, rng);
    for (int i = 0; i < n; i++)
        copy->x[(size_t)i * (size_t)copy->d + (size_t)j] = scratch[order[i]];
    *status = bml_classify_predict(p, NULL, model, copy, NULL, n);
    for (int i = 0; i < n; i++)
        copy->x[(size_t)i * (size_t)copy->d + (size_t)j] = scratch[i];
    double worth = *status ? 0 : bml_classify__worth_of(p, scratch, copy->y, n, copy->n_class);
    return best - worth;
}

BML_CLASSIFY_DEF int bml_classify_permutation_importance(double *importance, const bml_classify_model *model,
                                                         const bml_classify_data *data, const int *rows, int n_rows,
                                                         int repeats, uint64_t seed) {
    double best = 0;
    int status = BML_CLASSIFY_OK;
    if (!importance || !model || !data || n_rows < 2 || repeats < 1 || (!rows && n_rows > data->n))
        return BML_CLASSIFY_BAD_ARGUMENT;
    for (int i = 0; i < n_rows; i++)
        if ((rows && (rows[i] < 0 || rows[i] >= data->n)) || data->y[rows ? rows[i] : i] < 0)
            return BML_CLASSIFY_BAD_ARGUMENT;
    double *p = bml_classify__doubles(n_rows, data->n_class);
    double *scratch = bml_classify__doubles(n_rows, 1);
    int *order = bml_classify__ints(n_rows);
    bml_classify_data copy;
    if (!bml_classify__copy_rows(&copy, data, rows, n_rows) || !p || !scratch || !order)
        status = BML_CLASSIFY_NO_MEMORY;
    if (!status) status = bml_classify__check_classes(copy.y, n_rows, data->n_class, "", NULL);
    if (!status) status = bml_classify_predict(p, NULL, model, &copy, NULL, n_rows);
    if (!status) best = bml_classify__worth_of(p, scratch, copy.y, n_rows, data->n_class);
    bml_classify_rng rng;
    bml_classify_rng_init(&rng, seed, 0x9E37u);
    for (int j = 0; j < data->d && !status; j++) {
        importance[j] = 0;
        for (int r = 0; r < repeats && !status; r++)
            importance[j] += bml_classify__permute(model, &copy, j, p, scratch, order, best, &rng, &status) / repeats;
    }
    BML_CLASSIFY_FREE(copy.x);
    BML_CLASSIFY_FREE(copy.y);
    BML_CLASSIFY_FREE(p);
    BML_CLASSIFY_FREE(scratch);
    BML_CLASSIFY_FREE(order);
    return status;
}

/* sd[d] of the features over rows that hold a value. */
static void bml_classify__feature_sd(double *sd, const bml_classify_data *data) {
    for (int j = 0; j < data->d; j++) {
        double mean = 0;
        double size = 0;
        double var = 0;
        double v;
        int n = 0;
        for (int i = 0; i < data->n; i++) {
            v = data->x[(size_t)i * (size_t)data->d + (size_t)j];
            if (isfinite(v)) {
                mean += v;
                size = fabs(v) > size ? fabs(v) : size;
                n++;
            }
        }
        mean = n ? mean / n : 0;
        for (int i = 0; i < data->n; i++) {
            v = data->x[(size_t)i * (size_t)data->d + (size_t)j];
            if (isfinite(v) && size > 0) var += (v - mean) / size * ((v - mean) / size);
        }
        sd[j] = n ? size * sqrt(var / n) : 0;
    }
}

BML_CLASSIFY_DEF int bml_classify_gradient_importance(double *importance, const bml_classify_model *model,
                                                      const bml_classify_data *data, const int *rows, int n_rows) {
    static const double step = 0.05;
    int status = BML_CLASSIFY_OK;
    if (!importance || !model || !data || n_rows < 1 || (!rows && n_rows > data->n)) return BML_CLASSIFY_BAD_ARGUMENT;
    for (int i = 0; i < n_rows && rows; i++)
        if (rows[i] < 0 || rows[i] >= data->n) return BML_CLASSIFY_BAD_ARGUMENT;
    double *p = bml_classify__doubles(n_rows, data->n_class);
    double *q = bml_classify__doubles(n_rows, data->n_class);
    double *slope = bml_classify__doubles(n_rows, data->d);
    double *sd = bml_classify__doubles(data->d, 1);
    bml_classify_data copy;
    if (!bml_classify__copy_rows(&copy, data, rows, n_rows) || !p || !q || !slope || !sd)
        status = BML_CLASSIFY_NO_MEMORY;
    else
        bml_classify__feature_sd(sd, data);
    for (int j = 0; j < data->d && !status; j++) {
        for (int side = 0; side < 2 && !status; side++) {
            for (int i = 0; i < n_rows; i++)
                copy.x[(size_t)i * (size_t)data->d + (size_t)j] += (side ? -2 : 1) * step * sd[j];
            status = bml_classify_predict(side ? q : p, NULL, model, &copy, NULL, n_rows);
        }
        for (int i = 0; i < n_rows && !status; i++) {
            copy.x[(size_t)i * (size_t)data->d + (size_t)j] =
                data->x[(size_t)(rows ? rows[i] : i) * (size_t)data->d + (size_t)j];
            slope[(size_t)i * (size_t)data->d + (size_t)j] =
                fabs(p[i * data->n_class + 1] - q[i * data->n_class + 1]) / (2 * step);
        }
    }
    for (int j = 0; j < data->d; j++)
        importance[j] = 0;
    for (int i = 0; i < n_rows && !status; i++) {
        double sum = 0;
        for (int j = 0; j < data->d; j++)
            sum += slope[(size_t)i * (size_t)data->d + (size_t)j];
        for (int j = 0; j < data->d && sum > 0; j++)
            importance[j] += slope[(size_t)i * (size_t)data->d + (size_t)j] / sum / n_rows;
    }
    BML_CLASSIFY_FREE(copy.x);
    BML_CLASSIFY_FREE(copy.y);
    BML_CLASSIFY_FREE(p);
    BML_CLASSIFY_FREE(q);
    BML_CLASSIFY_FREE(slope);
    BML_CLASSIFY_FREE(sd);
    return status;
}

/* distance[n]: mean distance of x[n][d] to its nearest rows of z[m][d]; `own`: x are the same rows, and not their own
   neighbours. */
static void bml_classify__distances(double *distance, const double *x, int n, const double *z, const int *list, int m,
                                    int d, int own) {
    double r[BML_CLASSIFY__NEIGHBOURS];
    int place[BML_CLASSIFY__NEIGHBOURS];
    for (int i = 0; i < n; i++) {
        int found = bml_classify__nearest(r, place, x + (size_t)i * (size_t)d, z, list, m, d, own ? i : -1);
        distance[i] = 0;
        for (int k = 0; k < found; k++)
            distance[i] += sqrt(r[k]) / found;
    }
}

BML_CLASSIFY_DEF int bml_classify_domain_distance(double *distance, const bml_classify_data *data, const int *rows,
                                                  int n_rows, const int *train, int n_train, const int *columns,
                                                  int n_columns) {

    double *z = NULL;
    double *x = NULL;
    double *own = NULL;
    int *list = NULL;
    if (!distance || !data || !train || n_rows < 0 || (!rows && n_rows > data->n)) return BML_CLASSIFY_BAD_ARGUMENT;
    if (n_train < BML_CLASSIFY__NEIGHBOURS + 2) return BML_CLASSIFY_TOO_FEW;
    for (int i = 0; i < n_train; i++)
        if (train[i] < 0 || train[i] >= data->n) return BML_CLASSIFY_BAD_ARGUMENT;
    for (int i = 0; i < n_rows && rows; i++)
        if (rows[i] < 0 || rows[i] >= data->n) return BML_CLASSIFY_BAD_ARGUMENT;
    bml_classify_model m; /* for its scaling alone */
    memset(&m, 0, sizeof m);
    bml_classify_config c;
    memset(&c, 0, sizeof c);
    c.columns = columns;
    m.d = columns ? n_columns : data->d;
    int status = m.d > 0 ? bml_classify__scale(&m, &c, data, train, n_train, NULL) : BML_CLASSIFY_BAD_ARGUMENT;
    if (!status) {
        z = bml_classify__doubles(n_train, m.d);
        x = bml_classify__doubles(n_rows, m.d);
        own = bml_classify__doubles(n_train, 1);
        list = bml_classify__ints(n_train);
        if (!z || !x || !own || !list) status = BML_CLASSIFY_NO_MEMORY;
    }
    if (!status) {
        for (int i = 0; i < n_train; i++)
            list[i] = i;
        bml_classify__gather(z, &m, data, train, n_train);
        bml_classify__gather(x, &m, data, rows, n_rows);
        bml_classify__distances(own, z, n_train, z, list, n_train, m.d, 1);
        bml_classify__distances(distance, x, n_rows, z, list, n_train, m.d, 0);
        double unit = bml_classify__median(own, n_train);
        for (int i = 0; i < n_rows; i++)
            distance[i] = unit > 0 ? distance[i] / unit : distance[i] > 0 ? BML_CLASSIFY__INF : 1;
    }
    BML_CLASSIFY_FREE(z);
    BML_CLASSIFY_FREE(x);
    BML_CLASSIFY_FREE(own);
    BML_CLASSIFY_FREE(list);
    BML_CLASSIFY_FREE(m.column);
    BML_CLASSIFY_FREE(m.mean);
    BML_CLASSIFY_FREE(m.scale);
    return status;
}

/* The bin of v between edges[n_bins - 1], rising. */
static int bml_classify__bin_of(double v, const double *edges, int n_bins) {
    int b = 0;
    while (b < n_bins - 1 && v > edges[b])
        b++;
    return b;
}

BML_CLASSIFY_DEF int bml_classify_match_weights(double *weight, double *covered, const double *value, int n,
                                                const double *target, int n_target, int n_bins) {
    static const double highest = 20;
    double sum = 0;
    int bad = 0;
    if (!weight || !covered || !value || !target || n < 1 || n_bins < 1 || n_target < n_bins)
        return BML_CLASSIFY_BAD_ARGUMENT;
    for (int i = 0; i < n; i++)
        bad |= isnan(value[i]) != 0;
    for (int i = 0; i < n_target; i++)
        bad |= isnan(target[i]) != 0;
    if (bad) return BML_CLASSIFY_BAD_ARGUMENT;
    double *sorted = bml_classify__doubles(n_target, 1);
    double *edges = bml_classify__doubles(3, n_bins);
    if (!sorted || !edges) {
        BML_CLASSIFY_FREE(sorted);
        BML_CLASSIFY_FREE(edges);
        return BML_CLASSIFY_NO_MEMORY;
    }
    double *have = edges + n_bins;
    double *want = have + n_bins;
    memcpy(sorted, target, (size_t)n_target * sizeof *sorted);
    qsort(sorted, (size_t)n_target, sizeof *sorted, bml_classify__by_value);
    int b;
    for (b = 0; b < n_bins - 1; b++)
        edges[b] = sorted[(int)((double)(b + 1) * n_target / n_bins) - 1];
    for (int i = 0; i < n; i++)
        have[bml_classify__bin_of(value[i], edges, n_bins)] += 1.0 / n;
    for (int i = 0; i < n_target; i++)
        want[bml_classify__bin_of(target[i], edges, n_bins)] += 1.0 / n_target;
    *covered = 0;
    for (b = 0; b < n_bins; b++)
        *covered += have[b] > 0 ? want[b] : 0;
    for (int i = 0; i < n; i++) {
        b = bml_classify__bin_of(value[i], edges, n_bins);
        weight[i] = want[b] / have[b] < highest ? want[b] / have[b] : highest;
        sum += weight[i] / n;
    }
    for (int i = 0; i < n && sum > 0; i++)
        weight[i] /= sum;
    BML_CLASSIFY_FREE(sorted);
    BML_CLASSIFY_FREE(edges);
    return BML_CLASSIFY_OK;
}

#undef BML_CLASSIFY__NAN
#undef BML_CLASSIFY__INF
#undef BML_CLASSIFY_PRINTF
#endif /* BML_CLASSIFY_IMPLEMENTATION */

/* CHANGES
   0.1  first version

   LICENCE
   Public domain (Unlicense), or MIT, at your choice: see LICENSE. */
