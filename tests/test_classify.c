/* test_classify: bml_classify.h against closed forms, hand-computed cases, and numbers that scikit-learn 1.9.1 gave. */
#undef BML_CLASSIFY_IMPLEMENTED /* SMOTE and the weights of a stack are looked at from inside */
#define BML_CLASSIFY_IMPLEMENTATION
#include "bml_classify.h"
#include "check.h"
#include <string.h>

static int quick;             /* under sanitizers: fewer repetitions */
static unsigned long seed_of; /* of the random tests */

static double uniform(bml_classify_rng *r) {
    return bml_classify_rng_uniform(r);
}
static double normal(bml_classify_rng *r) {
    return bml_classify_rng_normal(r);
}

static bml_classify_rng stream(unsigned long number) {
    bml_classify_rng r;
    bml_classify_rng_init(&r, seed_of, number);
    return r;
}

/* ---- generator ---- */

/* Known answers of Philox4x32-10 as published with the generator (Random123, kat_vectors). */
static void test_philox(void) {
    static const uint32_t zero[4] = {0, 0, 0, 0};
    static const uint32_t key0[2] = {0, 0};
    static const uint32_t pi[4] = {0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u};
    static const uint32_t key[2] = {0xa4093822u, 0x299f31d0u};
    uint32_t out[4];
    bml_classify_philox(out, zero, key0);
    CHECK(out[0] == 0x6627e8d5u && out[1] == 0xe169c58du && out[2] == 0xbc57ac4cu && out[3] == 0x9b00dbd8u,
          "Philox, zeros");
    bml_classify_philox(out, pi, key);
    CHECK(out[0] == 0xd16cfe09u && out[1] == 0x94fdccebu && out[2] == 0x5001e420u && out[3] == 0x24126ea1u,
          "Philox, pi");
}

/* ---- tables ---- */

static int parse(bml_classify_table **t, const char *text, char *why) {
    why[0] = 0;
    return bml_classify_table_parse(t, text, strlen(text), "my.csv", why);
}

static void test_table(void) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    double v[3] = {0, 0, 0};
    bml_classify_table *t = NULL;
    int status = parse(&t,
                       "\xef\xbb\xbf# a comment\r\n\r\nname, flux ,\"a \"\"b\"\", c\"\r\nx, 1e-12,\" q,r \"\r\n\"y\" "
                       ",nan,\r\nz,-inf,3",
                       why);
    CHECK(status == 0, "a table with comments, quotes, blanks and CRLF is read (%s)", why);
    if (status) return;
    CHECK(t->n_rows == 3 && t->n_columns == 3, "3 rows and 3 columns");
    CHECK(!strcmp(t->column[2].name, "a \"b\", c"), "a quoted name");
    CHECK(!strcmp(t->column[2].text[0], " q,r ") && !*t->column[2].text[1],
          "quoted text keeps its blanks; an empty cell");
    CHECK(!strcmp(t->column[0].text[1], "y"), "blanks after a quote");
    CHECK(bml_classify_table_find(t, "FLUX") == 1 && bml_classify_table_find(t, "flu") == -1, "names in any case");
    CHECK(bml_classify_table_numbers(v, t, 1, why) == 0 && v[0] > 0.9e-12 && isnan(v[1]) && isinf(v[2]),
          "numbers, NaN, infinity");
    CHECK(bml_classify_table_numbers(v, t, 0, why) == BML_CLASSIFY_BAD_VALUE && strstr(why, "my.csv:4") &&
              strstr(why, "name"),
          "a text is no number: %s", why);
    bml_classify_table_free(t);
}

static void refuse(const char *text, int want, const char *part, const char *what) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    bml_classify_table *t = NULL;
    int status = parse(&t, text, why);
    CHECK(status == want && !t && strstr(why, part), "refused: %s (%s)", what, why);
    bml_classify_table_free(t);
}

static void test_separators(void) {
    static const char *const texts[] = {"a;b;\"c;d\"\n1.5;x,y;\n2;;3\n", "a\tb\tc\n1.5\tx y\t\n2\t\t3\n", "a\n1.5\n2\n",
                                        "\"a,b,c\";b\n1.5;2\n2;\n"};
    static const int columns[] = {3, 3, 1, 2};
    for (int i = 0; i < 4; i++) {
        char why[BML_CLASSIFY_MESSAGE] = "";
        bml_classify_table *t = NULL;
        double v[2] = {0, 0};
        int status = parse(&t, texts[i], why);
        if (!status) status = bml_classify_table_numbers(v, t, 0, why);
        CHECK(status == 0 && t->n_columns == columns[i] && t->n_rows == 2 && fabs(v[0] - 1.5) < 1e-15,
              "semicolons, tabs, a single column (%d; %s)", i, why);
        if (!status && i < 2) {
            CHECK(!*t->column[1].text[1] && !*t->column[2].text[0], "empty cells among them");
        }
        bml_classify_table_free(t);
    }
}

static void test_table_refusals(void) {
    bml_classify_table *t = NULL;
    char why[BML_CLASSIFY_MESSAGE] = "";
    refuse("", BML_CLASSIFY_BAD_TABLE, "my.csv", "nothing");
    refuse("a,b\n", BML_CLASSIFY_BAD_TABLE, "no rows", "no rows");
    refuse("a,b\n1,2\n3\n", BML_CLASSIFY_BAD_TABLE, "my.csv:3: 1 cells", "a short row");
    refuse("a,b\n1,2,3\n", BML_CLASSIFY_BAD_TABLE, "my.csv:2: 3 cells", "a long row");
    refuse("a,\"b\n1,2\n", BML_CLASSIFY_BAD_TABLE, "my.csv:1", "an open quote");
    refuse("a,b\n1,\"2\"x\n", BML_CLASSIFY_BAD_TABLE, "my.csv:2: column 2", "text after a quote");
    refuse("a,b,A\n1,2,3\n", BML_CLASSIFY_DUPLICATE, "columns 1 and 3", "two columns of one name");
    refuse("a,,b\n1,2,3\n", BML_CLASSIFY_BAD_TABLE, "column 2", "a column without a name");
    refuse("a,b\n1,\x01\n", BML_CLASSIFY_BAD_TABLE, "my.csv:2", "bytes that are no text");
    refuse("a;b\n1;2;3\n", BML_CLASSIFY_BAD_TABLE, "my.csv:2: 3 cells", "a long row with semicolons");
    CHECK(bml_classify_table_read(&t, "nowhere/at.all", why) == BML_CLASSIFY_NO_FILE && strstr(why, "nowhere"),
          "no file: %s", why);
    CHECK(!strcmp(bml_classify_strerror(BML_CLASSIFY_ONE_CLASS), "the labelled rows are of one class only"),
          "strerror");
    CHECK(!strcmp(bml_classify_strerror(77), "unknown status"), "strerror of no status");
}

/* ---- catalogues ---- */

#define BAND_COLUMNS "Flux_Band_1,Flux_Band_2,Flux_Band_3,"
#define ERROR_COLUMNS                                  \
    "Unc_Flux_Band_1,Unc_Flux_Band_2,Unc_Flux_Band_3," \
    "Unc_Flux_Band_4,Unc_Flux_Band_5,Unc_Flux_Band_6,"
#define YEAR_COLUMNS "Flux_History_1,Flux_History_2"
#define CATALOG_HEAD "Source_Name,CLASS1,GLAT,ASSOC1," BAND_COLUMNS ERROR_COLUMNS YEAR_COLUMNS "\n"
/* Upper errors of the bands: 2, 4, 6 in every row; their medians too. */
#define ERRORS "-1,2,nan,4,-1,6,"
#define SOURCE(begin, fluxes, years) begin "," fluxes "," ERRORS years "\n"

/* clang-format off */
static const char small_catalog[] = CATALOG_HEAD
    SOURCE("S1,bll,10,", "100,10,1", "5,7")
    SOURCE("S2,FSRQ,-20,", "1000,0,-3", "5,nan")
    SOURCE("S3,,80,", "1,2,inf", "1,1")
    SOURCE("S4,PSR,0,PSR A", "7,8,9", "2,2")
    SOURCE("S5,psr,-5,PSR B", "7,8,9", "2,2")
    SOURCE("S6,unk,5,", "7,8,9", "2,2")
    SOURCE("S7,bcu,5,", "7,8,9", "2,2")
    SOURCE("S8,spp,5,PSR C", "7,8,9", "2,2");
/* clang-format on */

static bml_classify_catalog *catalog_of(const char *text, int *status, char *why) {
    bml_classify_table *t = NULL;
    bml_classify_catalog *c = NULL;
    *status = parse(&t, text, why);
    if (!*status) *status = bml_classify_catalog_create(&c, t, why);
    bml_classify_table_free(t);
    return c;
}

static void test_catalog(void) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    int status = 0;
    int young = 0;
    int fast = 0;
    bml_classify_table *list = NULL;
    bml_classify_catalog *c = catalog_of(small_catalog, &status, why);
    CHECK(status == 0, "a small catalogue (%s)", why);
    if (status) return;
    CHECK(c->n == 8 && c->n_bands == 3 && c->n_years == 2, "its bands and years are counted");
    CHECK(c->kind[0] == BML_CLASSIFY_BLL && c->kind[1] == BML_CLASSIFY_FSRQ && c->kind[2] == BML_CLASSIFY_BLANK &&
              c->kind[3] == BML_CLASSIFY_PSR && c->kind[4] == BML_CLASSIFY_PSR && c->kind[5] == BML_CLASSIFY_UNKNOWN &&
              c->kind[6] == BML_CLASSIFY_BCU && c->kind[7] == BML_CLASSIFY_OTHER,
          "classes in both cases");
    CHECK(c->report[0].n == 24 && c->report[0].n_infinite == 1 && c->report[0].n_zero == 1 &&
              c->report[0].n_negative == 1 && c->report[0].n_limits == 8 && c->report[0].n_nan == 0,
          "the report counts 1 infinity, 1 zero, 1 negative, 8 limits");
    CHECK(c->report[1].n_nan == 1, "and a NaN in the light curves");
    CHECK(isnan(c->flux[8]), "an infinite flux is missing");
    CHECK(isnan(c->sqrt_ts[0]) && c->release[0] == 0 && isnan(c->lon[0]), "optional columns may be absent");
    status = parse(&list, "PSR,is_msp,P_ms,Source_Name\nPSR A,0,,S4\nPSR B,,5.2,\nPSR C,1,,S8\nPSR D,1,,\n", why);
    if (!status) {
        status = bml_classify_match_pulsars(&young, &fast, c, list, why);
    }
    CHECK(status == 0 && young == 1 && fast == 1, "pulsars by source name, and by association and period (%s)", why);
    CHECK(c->pulsar[3] == BML_CLASSIFY_YOUNG && c->pulsar[4] == BML_CLASSIFY_MILLISECOND && !c->pulsar[7],
          "and only sources of class PSR");
    bml_classify_table_free(list);
    bml_classify_catalog_free(c);
}

static void refuse_catalog(const char *text, int want, const char *part, const char *what) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    int status = 0;
    bml_classify_catalog *c = catalog_of(text, &status, why);
    CHECK(status == want && !c && strstr(why, part), "refused: %s (%s)", what, why);
    bml_classify_catalog_free(c);
}

#define ONES(begin) SOURCE(begin, "1,1,1", "1,1")

static void test_catalog_refusals(void) {
    refuse_catalog(CATALOG_HEAD ONES("S1,bll,1,") ONES("S1,bll,1,"), BML_CLASSIFY_DUPLICATE, "my.csv:3",
                   "a source twice");
    refuse_catalog(CATALOG_HEAD ONES("S1,bll,95,"), BML_CLASSIFY_BAD_VALUE, "GLAT", "a latitude of 95");
    refuse_catalog(CATALOG_HEAD SOURCE("S1,bll,5,", "1,one,1", "1,1"), BML_CLASSIFY_BAD_VALUE, "my.csv:2: Flux_Band_2",
                   "a word for a flux");
    refuse_catalog(CATALOG_HEAD SOURCE("S1,bll,5,", "1,1e308,1", "1,1"), BML_CLASSIFY_BAD_VALUE,
                   "my.csv:2: Flux_Band_2: '1e308' is beyond", "a flux of 1e308");
    refuse_catalog(CATALOG_HEAD SOURCE("S1,bll,5,", "1,1e999,1", "1,1"), BML_CLASSIFY_BAD_VALUE,
                   "my.csv:2: Flux_Band_2: '1e999' is beyond", "a flux of 1e999");
    refuse_catalog(CATALOG_HEAD ONES(",bll,5,"), BML_CLASSIFY_BAD_VALUE, "Source_Name is empty", "no name");
    refuse_catalog("Source_Name,CLASS1,Flux_Band_1,Flux_History_1\nS,bll,5,1\n", BML_CLASSIFY_NO_COLUMN, "GLAT",
                   "no latitude");
    refuse_catalog("Source_Name,CLASS1,GLAT\nS,bll,5\n", BML_CLASSIFY_NO_COLUMN, "Flux_Band_1", "no fluxes");
    refuse_catalog("Name,CLASS1,GLAT\nS,bll,5\n", BML_CLASSIFY_NO_COLUMN, "Source_Name", "no names");
}

/* A class that nobody knows is other, and said; MSP in CLASS1 needs no list of pulsars. */
static void test_catalog_classes(void) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    int status = 0;
    bml_classify_catalog *c = catalog_of(
        CATALOG_HEAD ONES("S1,bll,1,") ONES("S2,fsqr,1,") ONES("S3,xyz,1,") ONES("S4,fsrq,2,"), &status, why);
    CHECK(status == 0 && c->n_unknown == 2 && c->kind[1] == BML_CLASSIFY_OTHER && c->kind[2] == BML_CLASSIFY_OTHER,
          "unknown classes count as other (%s)", why);
    CHECK(status == 0 && strstr(c->warning, "my.csv:3: CLASS1: 'fsqr' is no class known here"), "and are said: %s",
          c ? c->warning : "");
    bml_classify_catalog_free(c);
    c = catalog_of(CATALOG_HEAD ONES("S1,MSP,1,") ONES("S2,psr,1,") ONES("S3,msp,1,") ONES("S4,,2,"), &status, why);
    bml_classify_features f = {0};
    bml_classify_data *d = NULL;
    f.task = BML_CLASSIFY_YNG_MSP;
    if (!status) {
        status = bml_classify_data_from_catalog(&d, c, &f, why);
    }
    CHECK(status == 0 && d->n == 4 && d->y[0] == 1 && d->y[1] == 0 && d->y[2] == 1 && d->y[3] == -1,
          "MSP in CLASS1: millisecond pulsars, and then PSR are young (%s)", why);
    CHECK(status == 0 && !*why && !*c->warning, "no word where nothing is wrong");
    bml_classify_data_free(d);
    bml_classify_catalog_free(c);
}

/* Catalogues without light curves, and without bands. */
static void test_catalog_halves(void) {
    static const char bands[] =
        "Source_Name,CLASS1,GLAT,Flux_Band_1,Flux_Band_2\nA,bll,5,1,2\nB,fsrq,5,2,1\nC,bcu,1,1,1\n";
    static const char years[] =
        "Source_Name,CLASS1,GLAT,Flux_History_1,Flux_History_2\nA,bll,5,1,2\nB,fsrq,5,2,1\nC,bcu,1,1,1\n";
    for (int half = 0; half < 2; half++) {
        char why[BML_CLASSIFY_MESSAGE] = "";
        int status = 0;
        bml_classify_catalog *c = catalog_of(half ? years : bands, &status, why);
        bml_classify_features f = {0};
        bml_classify_data *d = NULL;
        const char *name = half ? "bands" : "light curves";
        f.task = BML_CLASSIFY_BLL_FSRQ;
        f.kinds = BML_CLASSIFY_ALL_FEATURES;
        if (!status) {
            status = bml_classify_data_from_catalog(&d, c, &f, why);
        }
        CHECK(status == 0 && d->n == 3, "a catalogue without %s (%s)", name, why);
        bml_classify_data_free(d);
        f.inputs = half ? BML_CLASSIFY_TIME : BML_CLASSIFY_ENERGY;
        if (!status) {
            status = bml_classify_data_from_catalog(&d, c, &f, why);
        }
        CHECK(status == 0 && d->n == 3, "the half that is there (%s)", why);
        bml_classify_data_free(d);
        f.inputs = half ? BML_CLASSIFY_ENERGY : BML_CLASSIFY_TIME;
        if (!status) {
            status = bml_classify_data_from_catalog(&d, c, &f, why);
        }
        CHECK(status == BML_CLASSIFY_NO_COLUMN && !d && strstr(why, name), "the half that is not: %s", why);
        bml_classify_catalog_free(c);
    }
}

/* The catalogue's own fits become features: values, or logarithms with a floor. */
static void test_catalog_quantities(void) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    int status = 0;
    bml_classify_catalog *c = catalog_of("Source_Name;CLASS1;GLAT;Flux_Band_1;PL_Index;Signif_Avg;LP_beta\n"
                                         "A;bll;5;1;2.25;100;0.1\nB;fsrq;5;2;1.5;0.001;-0.5\nC;bcu;1;1;;10;1\n",
                                         &status, why);
    bml_classify_features f = {0};
    bml_classify_data *d = NULL;
    f.task = BML_CLASSIFY_BLL_FSRQ;
    f.kinds = BML_CLASSIFY_CATALOG;
    if (!status) {
        status = bml_classify_data_from_catalog(&d, c, &f, why);
    }
    CHECK(status == 0 && d->d == 3, "three of the catalogue's columns, and no more (%s)", why);
    if (status) return;
    CHECK(!strcmp(d->feature[0], "catalog_significance") && !strcmp(d->feature[1], "catalog_index"), "their names");
    CHECK_NEAR(d->x[0], 2, 1e-15, "log10 of a significance of 100");
    CHECK_NEAR(d->x[3], -1, 1e-15, "its floor");
    CHECK_NEAR(d->x[1], 2.25, 0, "the index as it stands");
    CHECK(isnan(d->x[7]), "a missing index");
    bml_classify_data_free(d);
    bml_classify_catalog_free(c);
}

/* Another table, by name and by place. Row 0 of the catalogue lies at (10, 20), row 1 half a degree beside it. */
static void test_join(void) {
    static const char head[] = "Source_Name,CLASS1,GLAT,RAJ2000,DEJ2000,Flux_Band_1\n";
    char text[512];
    char why[BML_CLASSIFY_MESSAGE] = "";
    int status = 0;
    int match[3];
    bml_classify_table *t = NULL;
    bml_classify_data *d = NULL;
    bml_classify_data *wide = NULL;
    bml_classify_features f = {0};
    snprintf(text, sizeof text, "%sA,bll,5,10,20,1\nB,fsrq,5,10,20.5,2\nC,bcu,1,200,-60,3\n", head);
    bml_classify_catalog *c = catalog_of(text, &status, why);
    CHECK(status == 0, "a catalogue with positions (%s)", why);
    if (status) return;
    f.task = BML_CLASSIFY_BLL_FSRQ;
    status = bml_classify_data_from_catalog(&d, c, &f, why);
    parse(&t, "Source_Name,W1,note,none\nB,3.5,x,\nZ,9,y,\nA,,z,\n", why);
    CHECK(bml_classify_join(match, c, t, 0, why) == 2 && match[0] == 2 && match[1] == 0 && match[2] == -1,
          "rows of a table by their names (%s)", why);
    if (!status) {
        status = bml_classify_data_join(&wide, d, t, match, why);
    }
    CHECK(status == 0 && wide->d == 3 && !strcmp(wide->feature[1], "out_W1") && !strcmp(wide->feature[2], "out_found"),
          "a column of numbers, and whether there was a row; texts and empty columns stay out (%s)", why);
    CHECK(status == 0 && isnan(wide->x[1]) && fabs(wide->x[4] - 3.5) < 1e-15 && isnan(wide->x[7]), "its values");
    CHECK(status == 0 && wide->x[2] > 0.5 && wide->x[8] < 0.5 && wide->group[1] == BML_CLASSIFY_OUTSIDE &&
              wide->y[1] == 1,
          "found or not; group and label");
    bml_classify_data_free(wide);
    bml_classify_table_free(t);
    parse(&t, "RA\tDEC\tflux\n10\t20.1\t1\n10\t20.4\t2\n199\t-60\t3\n", why);
    /* 1 deg of RA at declination -60 is half a degree on the sky */
    CHECK(bml_classify_join(match, c, t, 0.2, why) == 2 && match[0] == 0 && match[1] == 1 && match[2] == -1,
          "the nearest row within 0.2 deg (%s)", why);
    CHECK(bml_classify_join(match, c, t, 0.51, why) == 3 && match[2] == 2, "and within 0.51 deg");
    CHECK(bml_classify_join(match, c, t, 0, why) == BML_CLASSIFY_BAD_ARGUMENT && strstr(why, "radius = 0"),
          "no radius: %s", why);
    bml_classify_table_free(t);
    parse(&t, "Source_Name,W1\nA,1\nA,2\n", why);
    CHECK(bml_classify_join(match, c, t, 0, why) == BML_CLASSIFY_DUPLICATE && strstr(why, "my.csv:3"),
          "a name twice: %s", why);
    bml_classify_table_free(t);
    parse(&t, "W1,W2\n1,2\n", why);
    CHECK(bml_classify_join(match, c, t, 1, why) == BML_CLASSIFY_NO_COLUMN, "nothing to join by: %s", why);
    match[0] = match[1] = match[2] = -1;
    CHECK(bml_classify_data_join(&wide, d, t, match, why) == BML_CLASSIFY_EMPTY_COLUMN && !wide, "nothing to add: %s",
          why);
    bml_classify_table_free(t);
    bml_classify_data_free(d);
    bml_classify_catalog_free(c);
}

/* ---- features: the small catalogue by hand ---- */

static int feature(const bml_classify_data *d, const char *name) {
    for (int k = 0; k < d->d; k++) {
        if (!strcmp(d->feature[k], name)) return k;
    }
    return -1;
}

static double value(const bml_classify_data *d, int row, const char *name) {
    int k = feature(d, name);
    return k < 0 ? -1e99 : d->x[row * d->d + k];
}

/* Least chi2 over the amplitude of A exp(b u + c u^2) for three fluxes with errors 2, 4, 6, and the priors' part. */
static double parabola_chi2(const double *f, double b, double c) {
    double g[3];
    double fg = 0;
    double gg = 0;
    double chi2 = b * b / 400 + c * c / 16;
    for (int i = 0; i < 3; i++) {
        g[i] = exp(b * (i - 1) + c * (i - 1) * (i - 1));
        fg += f[i] * g[i] / (4.0 * (i + 1) * (i + 1));
        gg += g[i] * g[i] / (4.0 * (i + 1) * (i + 1));
    }
    for (int i = 0; i < 3; i++) {
        chi2 += pow((f[i] - fg / gg * g[i]) / (2.0 * (i + 1)), 2);
    }
    return chi2;
}

/* Slope and curvature are where chi2 is least, and the gain is what it says. */
static void test_fit_features(const bml_classify_data *d, int row) {
    double f[3];
    double b = value(d, row, "fit_slope");
    double c = value(d, row, "fit_curvature");
    double line = 1e9;
    double near;
    for (int i = 0; i < 3; i++) {
        f[i] = d->x[row * d->d + feature(d, "raw_band_1") + i];
    }
    double least = near = parabola_chi2(f, b, c);
    for (int i = -2; i <= 2; i++) {
        for (int j = -2; j <= 2; j++) {
            near = fmin(near, parabola_chi2(f, b + 0.02 * i, c + 0.02 * j));
        }
    }
    /* the fit ends when a step saves less than 1e-9 of chi2 */
    CHECK_LE(least - near, 1e-6 * (1 + least), "no better slope and curvature nearby");
    for (int i = -20000; i <= 20000; i++) {
        line = fmin(line, parabola_chi2(f, 1e-3 * i, 0));
    }
    /* the scan misses the minimum by 5e-4 at most: half the second derivative, below 1e4, times its square */
    CHECK_NEAR(value(d, row, "fit_gain"), log10(1 + line - least), 2e-3, "and the gain");
}

static void test_features(void) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    int status = 0;
    int columns[64];
    int n = 0;
    bml_classify_catalog *c = catalog_of(small_catalog, &status, why);
    bml_classify_features f = {0};
    bml_classify_data *d = NULL;
    f.task = BML_CLASSIFY_BLL_FSRQ;
    f.kinds = 63 + BML_CLASSIFY_SIGNED_LATITUDE;
    if (!status) {
        status = bml_classify_data_from_catalog(&d, c, &f, why);
    }
    CHECK(status == 0, "features of a small catalogue (%s)", why);
    if (status) return;
    CHECK(d->n == 3 && d->y[0] == 0 && d->y[1] == 1 && d->y[2] == -1 && d->source[2] == 6,
          "BLL, FSRQ and the bcu to classify");
    CHECK_NEAR(value(d, 0, "raw_band_1"), 100, 0, "raw");
    /* floors: a tenth of the median upper errors 2, 4, 6; tolerances are rounding */
    CHECK_NEAR(value(d, 0, "log_band_1"), 2, 1e-15, "log of a flux above its floor");
    CHECK_NEAR(value(d, 1, "log_band_2"), log10(0.4), 1e-15, "log of a zero: its floor");
    CHECK_NEAR(value(d, 1, "log_band_3"), log10(0.6), 1e-15, "log of a negative flux: its floor");
    CHECK_NEAR(value(d, 0, "derived_slope_1"), -1, 1e-15, "slope");
    CHECK_NEAR(value(d, 1, "derived_curvature_1"), log10(0.6) - log10(0.4) - (log10(0.4) - 3), 1e-14, "curvature");
    CHECK_NEAR(value(d, 0, "derived_flux"), log10(111), 1e-14, "log of the summed flux");
    test_fit_features(d, 0);
    test_fit_features(d, 1);
    CHECK(isfinite(value(d, 2, "fit_slope")), "a spectrum of every source");
    CHECK_NEAR(value(d, 0, "derived_mean"), log10(6), 1e-14, "mean of a light curve");
    CHECK_NEAR(value(d, 0, "derived_scatter"), log10(1.0 / 6 + 1e-3), 1e-14, "relative scatter");
    CHECK_NEAR(value(d, 0, "derived_step"), log10(7.0 / 5), 1e-14, "step");
    CHECK_NEAR(value(d, 0, "derived_highest"), log10(7.0 / 6), 1e-14, "highest over mean");
    CHECK(isnan(value(d, 1, "derived_mean")) && isnan(value(d, 1, "log_year_2")),
          "a missing year makes the summary missing");
    CHECK_NEAR(value(d, 0, "error_band_2"), log10(4), 1e-15, "log of the upper error");
    CHECK_NEAR(value(d, 0, "snr_band_1"), log10(50), 1e-14, "flux over error");
    CHECK_NEAR(value(d, 1, "snr_band_2"), -2, 1e-15, "its floor");
    CHECK(feature(d, "sqrt_ts_1") < 0, "no sqrt(TS) in the file: no such feature");
    CHECK_NEAR(value(d, 1, "latitude"), -20, 0, "latitude");
    bml_classify_data_columns(columns, &n, d, BML_CLASSIFY_TIME, "raw|derived_st");
    CHECK(n == 3 && columns[0] == feature(d, "raw_year_1") && columns[2] == feature(d, "derived_step"),
          "columns by group and name");
    bml_classify_data_free(d);
    f.task = BML_CLASSIFY_YNG_MSP;
    CHECK(bml_classify_data_from_catalog(&d, c, &f, why) == BML_CLASSIFY_ONE_CLASS, "no pulsar list yet: %s", why);
    f.task = BML_CLASSIFY_AGN_PSR;
    f.kinds = 0;
    f.inputs = BML_CLASSIFY_TIME;
    status = bml_classify_data_from_catalog(&d, c, &f, why);
    CHECK(status == 0 && d->d == 2 && d->n == 7, "light curves alone; three AGN, two pulsars, two candidates");
    bml_classify_data_free(d);
    bml_classify_catalog_free(c);
}

/* ---- data of one's own ---- */

typedef struct set {
    bml_classify_data data;
    double *x;
    int *y;
} set;

static set set_make(int n, int d, int n_class) {
    set s = {{0}, NULL, NULL};
    s.x = calloc((size_t)n * (size_t)d, sizeof *s.x);
    s.y = calloc((size_t)n, sizeof *s.y);
    if (!s.x || !s.y) exit(1);
    s.data.n = n;
    s.data.d = d;
    s.data.n_class = n_class;
    s.data.x = s.x;
    s.data.y = s.y;
    return s;
}

static void set_free(set *s) {
    free(s->x);
    free(s->y);
}

/* Two classes of n rows: normal, class 1 shifted by `shift` in the first feature; the others are noise. */
static set set_normal(int n, int d, double shift, unsigned long number) {
    set s = set_make(n, d, 2);
    bml_classify_rng r = stream(number);
    for (int i = 0; i < n; i++) {
        s.y[i] = i % 2;
        for (int j = 0; j < d; j++) {
            s.x[i * d + j] = normal(&r) + (j == 0 && s.y[i] ? shift : 0);
        }
    }
    return s;
}

static void test_data_from_table(void) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    bml_classify_table *t = NULL;
    bml_classify_data *d = NULL;
    int status = parse(&t, "a,class,b\n1,dog,2\n3,cat,\n5,,6\n", why);
    if (!status) status = bml_classify_data_from_table(&d, t, "class", why);
    CHECK(status == 0 && d && d->d == 2 && d->n_class == 2 && !strcmp(d->class_name[0], "cat") && d->y[0] == 1 &&
              d->y[1] == 0 && d->y[2] == -1 && isnan(d->x[3]),
          "a table with labels (%s)", why);
    bml_classify_data_free(d);
    CHECK(bml_classify_data_from_table(&d, t, "klass", why) == BML_CLASSIFY_NO_COLUMN, "no such label column: %s", why);
    bml_classify_table_free(t);
    parse(&t, "a,class\n1,x\n2,x\n", why);
    CHECK(bml_classify_data_from_table(&d, t, "class", why) == BML_CLASSIFY_ONE_CLASS && strstr(why, "one class"),
          "one class: %s", why);
    bml_classify_table_free(t);
    parse(&t, "a,class,b\n1,x,\n2,y,nan\n", why);
    CHECK(bml_classify_data_from_table(&d, t, "class", why) == BML_CLASSIFY_EMPTY_COLUMN &&
              strstr(why, "column 3, 'b'"),
          "an empty column: %s", why);
    bml_classify_table_free(t);
}

static void test_splits(void) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    set s = set_make(103, 1, 2);
    int rows[103];
    int again[103];
    int fold[103];
    int seen[103] = {0};
    int n_train = 0;
    int n_test = 0;
    int i;
    int good = 1;
    int ones[2] = {0, 0};
    int count[5][2];
    for (i = 0; i < 103; i++) {
        s.y[i] = i < 20 ? 1 : i < 100 ? 0 : -1;
    }
    CHECK(bml_classify_split(rows, &n_train, &n_test, &s.data, 0.7, seed_of, why) == 0, "split");
    for (i = 0; i < 100; i++) {
        seen[rows[i]]++;
        ones[i >= n_train] += s.y[rows[i]];
    }
    for (i = 0; i < 103; i++) {
        good = good && seen[i] == (i < 100);
    }
    CHECK(good && n_train == 70 && n_test == 30, "every labelled row once, 70 and 30");
    CHECK(ones[0] == 14 && ones[1] == 6, "70 %% of each class");
    bml_classify_split(again, &n_train, &n_test, &s.data, 0.7, seed_of, why);
    CHECK(!memcmp(rows, again, 100 * sizeof *rows), "same seed, same split");
    bml_classify_split(again, &n_train, &n_test, &s.data, 0.7, seed_of + 1, why);
    CHECK(memcmp(rows, again, 100 * sizeof *rows), "another seed, another split");
    CHECK(bml_classify_folds(fold, &s.data, NULL, 103, 5, seed_of, why) == 0, "folds");
    memset(count, 0, sizeof count);
    for (i = 0, good = 1; i < 103; i++) {
        if (s.y[i] < 0)
            good = good && fold[i] == -1;
        else
            count[fold[i]][s.y[i]]++;
    }
    for (int k = 0; k < 5; k++) {
        good = good && count[k][0] == 16 && count[k][1] == 4;
    }
    CHECK(good, "five folds of 16 and 4");
    CHECK(bml_classify_folds(fold, &s.data, NULL, 103, 21, seed_of, why) == BML_CLASSIFY_TOO_FEW &&
              strstr(why, "20 rows of class 1"),
          "fewer rows than folds: %s", why);
    for (i = 0; i < 20; i++) {
        s.y[i] = -1;
    }
    CHECK(bml_classify_folds(fold, &s.data, NULL, 103, 5, seed_of, why) == BML_CLASSIFY_ONE_CLASS,
          "folds of one class");
    CHECK(bml_classify_split(rows, &n_train, &n_test, &s.data, 0.7, seed_of, why) == BML_CLASSIFY_ONE_CLASS,
          "split of one class");
    set_free(&s);
}

/* ---- metrics: numbers of scikit-learn, with ties, and with weights ---- */

static const double sk_score[16] = {.1, .4, .4, .8, .35, .9, .4, .65, .2, .65, .55, .05, .8, .3, .7, .6};
static const int sk_y[16] = {0, 0, 1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0};
static const double sk_w[16] = {1, 2, 1, 3, 1, 1, 2, 1, 1, 2, 1, 1, 4, 1, 1, 2};

/* want[5]: AUC, precision-recall AUC, log loss, Brier score, accuracy, to rounding. */
static void check_scores(const bml_classify_scores *s, const double *want, const char *how) {
    static const char *const names[5] = {"AUC with ties", "precision-recall AUC", "log loss", "Brier score",
                                         "accuracy"};
    const double got[5] = {s->auc, s->pr_auc, s->log_loss, s->brier, s->accuracy};
    for (int i = 0; i < 5; i++) {
        double off = fabs(got[i] - want[i]);
        CHECK(off <= 1e-14, "%s%s: %.16g, expected %.16g", names[i], how, got[i], want[i]);
    }
}

static void test_metrics(void) {
    static const double plain[5] = {0.71875, 0.6995556526806527, 0.6029568666161285, 0.21453125, 0.625};
    static const double weighted[5] = {0.6153846153846153, 0.5792508417508417, 0.7078440283758212, 0.2574, 0.56};
    double p[32];
    double rounding = 1e-14;
    double threshold[17];
    double fp[17];
    double tp[17];
    double precision[17];
    static const double want_fp[13] = {0, 0, .125, .125, .25, .375, .375, .5, .625, .625, .75, .875, 1};
    static const double want_tp[13] = {0, .125, .25, .375, .5, .5, .625, .875, .875, 1, 1, 1, 1};
    int good = 1;
    int hard[16];
    for (int i = 0; i < 16; i++) {
        p[2 * i] = 1 - sk_score[i];
        p[2 * i + 1] = sk_score[i];
        hard[i] = sk_score[i] >= 0.5;
    }
    bml_classify_scores s;
    CHECK(bml_classify_score(&s, p, sk_y, NULL, 16, 2) == 0, "scores");
    check_scores(&s, plain, "");
    CHECK_NEAR(s.balanced_accuracy, 0.625, rounding, "balanced accuracy");
    CHECK_NEAR(s.f1, 0.625, rounding, "F1");
    CHECK_NEAR(bml_classify_kappa(hard, sk_y, 16, 2), 0.25, rounding, "kappa");
    CHECK(bml_classify_score(&s, p, sk_y, sk_w, 16, 2) == 0, "scores with weights");
    check_scores(&s, weighted, ", weighted");
    int points = bml_classify_curve(threshold, fp, tp, precision, sk_score, sk_y, NULL, 16);
    for (int i = 0; i < 13 && points == 13; i++) {
        good = good && fabs(fp[i] - want_fp[i]) < 1e-15 && fabs(tp[i] - want_tp[i]) < 1e-15;
    }
    CHECK(points == 13 && good, "the ROC curve, point by point");
    CHECK(isinf(threshold[0]) && threshold[1] > 0.89 && threshold[12] < 0.06, "and its thresholds");
    /* nearest to (0, 1): (0.375, 0.625), r^2 = 0.28, against 0.27 of (0.5, 0.875): the latter, scores 0.4 and 0.35 */
    CHECK_NEAR(bml_classify_nearest_threshold(sk_score, sk_y, NULL, 16), 0.375, 1e-15, "threshold nearest to (0, 1)");
}

/* Thresholds of the sixteen rows by hand: purity and completeness after each score, from the highest,
   0.9: 1/1, 1/8; 0.8: 2/3, 2/8; 0.7: 3/4, 3/8; 0.65: 4/6; 0.6: 4/7, 4/8; 0.55: 5/8, 5/8; 0.4: 7/11, 7/8; 0.35: 7/12;
   0.3: 8/13, 1; ... */
static void test_threshold(void) {
    static const double purity[4] = {1, 0.7, 0.65, 0.6};
    static const double threshold[4] = {0.85, 0.675, 0.625, 0.25};
    static const double reached[4] = {1.0 / 8, 3.0 / 8, 4.0 / 8, 1};
    static const double called[4] = {1, 4, 6, 13};
    bml_classify_cut cut;
    for (int i = 0; i < 4; i++) {
        int status = bml_classify_threshold(&cut, purity[i], 0, sk_score, sk_y, NULL, 16);
        CHECK(status == 0 && fabs(cut.threshold - threshold[i]) < 1e-15 && fabs(cut.completeness - reached[i]) < 1e-15,
              "purity %g: threshold %g, completeness %g", purity[i], cut.threshold, cut.completeness);
        CHECK(status == 0 && fabs(cut.called - called[i]) < 1e-13 && cut.purity >= purity[i] - 1e-15,
              "of %g called, %g are", cut.called, cut.purity);
    }
    int status = bml_classify_threshold(&cut, 0, 0.25, sk_score, sk_y, NULL, 16);
    CHECK(status == 0 && fabs(cut.threshold - 0.675) < 1e-15 && fabs(cut.purity - 0.75) < 1e-15,
          "completeness 0.25: the purest threshold that has it, 0.7 with 3 of 4");
    status = bml_classify_threshold(&cut, 0, 1, sk_score, sk_y, NULL, 16);
    CHECK(status == 0 && fabs(cut.threshold - 0.25) < 1e-15 && fabs(cut.purity - 8.0 / 13) < 1e-15, "completeness 1");
    status = bml_classify_threshold(&cut, 0.5, 0, sk_score, sk_y, sk_w, 16);
    CHECK(status == 0 && cut.purity >= 0.5 && fabs(cut.called * cut.purity - cut.completeness * 12) < 1e-12,
          "weights: what is called and true is the same from both sides");
    double turned[16];
    for (int i = 0; i < 16; i++) {
        turned[i] = -sk_score[i];
    }
    CHECK(bml_classify_threshold(&cut, 0.99, 0, turned, sk_y, NULL, 16) == BML_CLASSIFY_NOT_REACHED,
          "a purity that no threshold reaches");
    CHECK(bml_classify_threshold(&cut, 0.5, 0.5, sk_score, sk_y, NULL, 16) == BML_CLASSIFY_BAD_ARGUMENT &&
              bml_classify_threshold(&cut, 0, 0, sk_score, sk_y, NULL, 16) == BML_CLASSIFY_BAD_ARGUMENT &&
              bml_classify_threshold(&cut, 1.5, 0, sk_score, sk_y, NULL, 16) == BML_CLASSIFY_BAD_ARGUMENT,
          "both, none, or beyond 1");
}

static const double sk_p3[48] = {
    0.268,    0.422,    0.31,     0.331, 0.232, 0.437, 0.094,    0.364,    0.542,    0.172172, 0.55956,  0.268268,
    0.239,    0.74,     0.021,    0.048, 0.011, 0.941, 0.204,    0.276,    0.52,     0.429429, 0.165165, 0.405406,
    0.097,    0.784,    0.119,    0.694, 0.177, 0.129, 0.128,    0.619,    0.253,    0.462,    0.01,     0.528,
    0.197802, 0.200799, 0.601399, 0.529, 0.206, 0.265, 0.507508, 0.026026, 0.466466, 0.748,    0.159,    0.093};
static const int sk_y3[16] = {0, 1, 2, 2, 1, 0, 2, 1, 0, 0, 1, 2, 2, 0, 1, 1};

static void test_metrics_more(void) {
    static const int a[50] = {0};
    static const int none[3] = {-1, 1, 0};
    static const int other[3] = {1, 1, 0};
    int cohen_a[50];
    int cohen_b[50];
    int y[8] = {1, 1, 1, 1, 0, 0, 0, 0};
    double matrix[9];
    double cost[5];
    double flat[8];
    double mean[10];
    double fraction[10];
    double weight[10];
    static const double sharp[8] = {.9, .8, .7, .6, .4, .3, .2, .1};
    static const double three[3] = {1, 2, 6};
    bml_classify_scores s;
    CHECK(bml_classify_score(&s, sk_p3, sk_y3, NULL, 16, 3) == 0, "scores of three classes");
    CHECK_NEAR(s.auc, 0.6035353535353535, 1e-14, "mean AUC of one against the rest");
    CHECK_NEAR(s.log_loss, 1.3092406794211149, 1e-13, "log loss of three classes");
    CHECK_NEAR(s.f1, 0.496969696969697, 1e-14, "macro F1");
    CHECK_NEAR(s.balanced_accuracy, 0.5111111111111112, 1e-14, "balanced accuracy of three classes");
    /* Two readers, 50 cases: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: agreement 0.7, by chance 0.5 */
    for (int i = 0; i < 50; i++) {
        cohen_a[i] = i < 25;
        cohen_b[i] = i < 20 || (i >= 25 && i < 35);
    }
    CHECK_NEAR(bml_classify_kappa(cohen_a, cohen_b, 50, 2), 0.4, 1e-14, "kappa by hand");
    CHECK(isnan(bml_classify_kappa(a, a, 50, 2)), "kappa of two constant lists is undefined");
    CHECK_NEAR(bml_classify_kappa(none, other, 3, 2), 1, 1e-14, "entries without a class are left out");
    for (int i = 0; i < 8; i++) {
        flat[i] = 0.5;
    }
    CHECK_NEAR(bml_classify_auc(flat, y, NULL, 8), 0.5, 0, "AUC of a constant");
    CHECK_NEAR(bml_classify_pr_auc(flat, y, NULL, 8), 0.5, 0,
               "precision-recall AUC of a constant: the share of class 1");
    CHECK_NEAR(bml_classify_auc(sharp, y, NULL, 8), 1, 0, "AUC of a perfect score");
    CHECK_NEAR(bml_classify_nearest_threshold(sharp, y, NULL, 8), 0.5, 1e-15, "its threshold lies between the classes");
    CHECK(isnan(bml_classify_auc(sharp, cohen_a, NULL, 8)), "AUC of one class is undefined");
    /* a constant can only call all 0 or all 1: min(pc, 1 - pc) */
    CHECK(bml_classify_cost_curve(cost, 5, flat, y, NULL, 8) == 0 && fabs(cost[0]) < 1e-15 &&
              fabs(cost[1] - 0.25) < 1e-15 && fabs(cost[2] - 0.5) < 1e-15 && fabs(cost[4]) < 1e-15,
          "cost curve of a constant");
    CHECK(bml_classify_cost_curve(cost, 5, sharp, y, NULL, 8) == 0 && fabs(cost[2]) < 1e-15,
          "cost curve of a perfect score");
    /* points (0.25, 0.75) only, beside the trivial ones: cost at 1/2 is 0.25 */
    flat[0] = flat[1] = flat[2] = flat[4] = 0.9;
    flat[3] = flat[5] = flat[6] = flat[7] = 0.1;
    bml_classify_cost_curve(cost, 5, flat, y, NULL, 8);
    CHECK_NEAR(cost[2], 0.25, 1e-15, "cost curve of one threshold");
    bml_classify_calibration_curve(mean, fraction, weight, 10, flat, y, NULL, 8);
    CHECK(fabs(mean[9] - 0.9) < 1e-15 && fabs(fraction[9] - 0.75) < 1e-15 && isnan(mean[5]) &&
              fabs(weight[1] - 4) < 1e-15,
          "calibration curve by hand");
    bml_classify_confusion(matrix, sk_p3, sk_y3, NULL, 16, 3, (double)NAN);
    CHECK_NEAR(matrix[0] + matrix[4] + matrix[8], 8, 0, "the diagonal of the confusion matrix of three classes");
    double sd;
    double m;
    bml_classify_mean_sd(&m, &sd, three, 3);
    CHECK(fabs(m - 3) < 1e-15 && fabs(sd - sqrt(7)) < 1e-15, "mean and sd");
    CHECK(bml_classify_verdict(sk_p3, 3, 0.5) == -1 && bml_classify_verdict(sk_p3 + 6, 3, 0.5) == 2, "verdicts");
}

static void test_scores_refusals(void) {
    double p[4] = {0.5, 0.5, 1.5, -0.5};
    double nan_score[2] = {(double)NAN, 1};
    int y[2] = {0, 1};
    int none[2] = {-1, -1};
    bml_classify_scores s;
    CHECK(bml_classify_score(&s, p, y, NULL, 2, 2) == BML_CLASSIFY_BAD_ARGUMENT, "probabilities outside [0, 1]");
    CHECK(bml_classify_score(&s, p, none, NULL, 2, 2) == BML_CLASSIFY_TOO_FEW, "no labelled rows");
    CHECK(isnan(bml_classify_auc(nan_score, y, NULL, 2)), "AUC of a NaN");
    p[2] = p[3] = 0.5;
    y[1] = 0;
    CHECK(bml_classify_score(&s, p, y, NULL, 2, 2) == 0 && isnan(s.auc) && s.accuracy < 0.01,
          "one class: no AUC, accuracy stays");
    y[1] = 7;
    CHECK(bml_classify_score(&s, p, y, NULL, 2, 2) == BML_CLASSIFY_BAD_ARGUMENT, "a label out of range");
}

/* ECE: p = 0.3 for all with 30 % of class 1 has none; p = 0.9 with 50 % has 0.4. */
static void test_calibration_error(void) {
    double p[200];
    int y[100];
    for (int i = 0; i < 100; i++) {
        p[2 * i] = 0.7;
        p[2 * i + 1] = 0.3;
        y[i] = i < 30;
    }
    bml_classify_scores s;
    bml_classify_score(&s, p, y, NULL, 100, 2);
    CHECK_NEAR(s.calibration_error, 0, 1e-14, "calibration error of the true share");
    for (int i = 0; i < 100; i++) {
        p[2 * i] = 0.1;
        p[2 * i + 1] = 0.9;
        y[i] = i < 50;
    }
    bml_classify_score(&s, p, y, NULL, 100, 2);
    CHECK_NEAR(s.calibration_error, 0.4, 1e-14, "calibration error of overconfidence");
}

/* AUC by counting all pairs, with rounded scores for ties and random weights. */
static void test_auc_pairs(void) {
    enum { N = 60 };
    bml_classify_rng r = stream(11);
    double score[N];
    double w[N];
    double worst = 0;
    int y[N];
    for (int t = 0; t < 50; t++) {
        double above = 0;
        double pairs = 0;
        for (int i = 0; i < N; i++) {
            y[i] = uniform(&r) < 0.4;
            score[i] = floor(10 * (uniform(&r) + 0.2 * y[i]));
            w[i] = uniform(&r);
        }
        y[0] = 0;
        y[1] = 1;
        for (int i = 0; i < N; i++) {
            for (int k = 0; k < N; k++) {
                if (!(y[i] == 1 && y[k] == 0)) {
                    continue;
                }
                pairs += w[i] * w[k];
                above += w[i] * w[k] * (score[i] > score[k] ? 1 : score[i] < score[k] ? 0 : 0.5);
            }
        }
        worst = fmax(worst, fabs(above / pairs - bml_classify_auc(score, y, w, N)));
    }
    CHECK_LE(worst, 1e-13, "AUC against counting all pairs, 50 weighted sets with ties");
}

enum { DELONG_ROWS = 40 };

/* DeLong's components by double sums: for a row of class 1 the share of class 0 below, and the other way round. */
static void delong_components(double *v, const double *score, const int *y) {
    for (int i = 0; i < DELONG_ROWS; i++) {
        double sum = 0;
        int others = 0;
        for (int k = 0; k < DELONG_ROWS; k++) {
            double d = y[i] ? score[i] - score[k] : score[k] - score[i];
            if (y[k] == y[i]) continue;
            others++;
            sum += d > 0;
            if (fabs(d) < 1e-12) sum += 0.5;
        }
        v[i] = sum / others;
    }
}

/* The covariance of two AUCs by its definition. */
static double delong_covariance(const double *v, const double *u, const int *y) {
    double covariance = 0;
    for (int of = 0; of < 2; of++) {
        double n = 0;
        double sum[3] = {0, 0, 0};
        for (int i = 0; i < DELONG_ROWS; i++) {
            if (y[i] != of) continue;
            n++;
            sum[0] += v[i];
            sum[1] += u[i];
            sum[2] += v[i] * u[i];
        }
        covariance += (sum[2] - sum[0] * sum[1] / n) / (n - 1) / n;
    }
    return covariance;
}

static void test_delong(void) {
    bml_classify_rng r = stream(12);
    double scores[2 * DELONG_ROWS];
    double v[2][DELONG_ROWS];
    double auc[2];
    double cov[4];
    double worst = 0;
    int y[DELONG_ROWS];
    for (int i = 0; i < DELONG_ROWS; i++) {
        y[i] = i % 3 == 0;
        scores[i] = floor(8 * uniform(&r)) + 2 * y[i];
        scores[DELONG_ROWS + i] = scores[i] + floor(8 * uniform(&r));
    }
    CHECK(bml_classify_delong(auc, cov, scores, 2, y, DELONG_ROWS) == 0, "DeLong");
    for (int a = 0; a < 2; a++) {
        delong_components(v[a], scores + a * DELONG_ROWS, y);
    }
    for (int a = 0; a < 2; a++) {
        for (int b = 0; b < 2; b++) {
            worst = fmax(worst, fabs(cov[a * 2 + b] - delong_covariance(v[a], v[b], y)));
        }
    }
    CHECK_LE(worst, 1e-15, "DeLong covariance against its definition");
    CHECK_NEAR(auc[0], bml_classify_auc(scores, y, NULL, DELONG_ROWS), 1e-14, "and its AUC");
}

/* The scatter of the AUC over many sets against the mean of DeLong's variances. */
static void test_delong_scatter(void) {
    enum { SETS = 1500 };
    bml_classify_rng r = stream(27);
    double scores[DELONG_ROWS];
    static double values[SETS];
    double errors = 0;
    double mean = 0;
    double sd = 0;
    int y[DELONG_ROWS];
    int sets = quick ? 200 : SETS;
    for (int t = 0; t < sets; t++) {
        double auc;
        double var;
        for (int i = 0; i < DELONG_ROWS; i++) {
            y[i] = i % 3 == 0;
            scores[i] = normal(&r) + y[i];
        }
        bml_classify_delong(&auc, &var, scores, 1, y, DELONG_ROWS);
        values[t] = auc;
        errors += var / sets;
    }
    bml_classify_mean_sd(&mean, &sd, values, sets);
    /* sd of a variance from n values is sqrt(2/n) of it (kurtosis of an AUC is near 3): 4 sigma; and DeLong's estimate
       of the variance is unbiased up to order 1/m of it, m = 14 */
    CHECK_NEAR(errors / (sd * sd), 1, 4 * sqrt(2.0 / sets) + 1.0 / 14, "mean DeLong variance over that of the AUCs");
}

/* ---- calibration ---- */

static void test_isotonic(void) {
    static const double at[12] = {.05, .1, .2, .3, .35, .4, .55, .6, .65, .7, .8, .9};
    static const double want[12] = {0, 0, 0, .5, .5, 4.0 / 7, 4.0 / 7, 4.0 / 7, 4.0 / 7, 2.0 / 3, 2.0 / 3, 1};
    double x[16];
    double v[16];
    int n = 0;
    int good = 1;
    CHECK(bml_classify_isotonic(x, v, &n, sk_score, sk_y, 16) == 0 && n == 5,
          "isotonic regression: 5 blocks as scikit-learn");
    for (int i = 1; i < n; i++) {
        good = good && x[i] > x[i - 1] && v[i] > v[i - 1];
    }
    CHECK(good, "knots rise");
    for (int i = 0; i < n; i++) { /* each block's value, at its mean score */
        int found = 0;
        for (int k = 0; k < 12; k++) {
            found |= fabs(v[i] - want[k]) < 1e-14 && x[i] >= at[0] && x[i] <= at[11];
        }
        good = good && found;
    }
    CHECK(good, "block values of scikit-learn's regression");
    CHECK_NEAR(bml_classify_isotonic_at(x, v, n, 0), v[0], 0, "constant below");
    CHECK_NEAR(bml_classify_isotonic_at(x, v, n, 1), v[4], 0, "constant above");
    CHECK_NEAR(bml_classify_isotonic_at(x, v, n, 0.5 * (x[1] + x[2])), 0.5 * (v[1] + v[2]), 1e-14, "linear between");
}

/* Labels drawn with logit a, probabilities given with logit 3 a: T = 3. */
static void test_temperature(void) {
    enum { N = 20000 };
    static double p[2 * N];
    static int y[N];
    bml_classify_rng r = stream(13);
    double information = 0;
    for (int i = 0; i < N; i++) {
        double a = 2 * normal(&r);
        double q = 1 / (1 + exp(-a));
        y[i] = uniform(&r) < q;
        p[2 * i + 1] = 1 / (1 + exp(-3 * a));
        p[2 * i] = 1 / (1 + exp(3 * a));
        information += q * (1 - q) * a * a;
    }
    double t = bml_classify_temperature(p, y, N, 2);
    /* with b = 3/T the log likelihood has curvature sum q(1-q) a^2 at b = 1: sd(b) = 1/sqrt of it, sd(T) = 3 sd(b); 5
       sigma */
    CHECK_NEAR(t, 3, 15 / sqrt(information), "temperature");
}

/* ---- logistic regression ---- */

static const double lr_x[20] = {0.5, 1.2,  1.5, -0.3, 2.0, 0.7, 0.1, 0.4, 3.1, 2.2,
                                2.2, -1.0, 1.1, 0.0,  0.7, 2.5, 2.9, 1.4, 1.9, -2.0};
static const int lr_y[10] = {0, 0, 1, 0, 1, 1, 0, 1, 1, 0};

static void test_logistic(void) {
    static const double want[10] = {0.33454711125900055, 0.37699554508306554, 0.6679604247900561, 0.16128118380893947,
                                    0.9477662885930497,  0.4623614908573936,  0.3172333147977092, 0.5897592573807129,
                                    0.8970127805657695,  0.2450826028927259};
    char why[BML_CLASSIFY_MESSAGE] = "";
    set s = set_make(10, 2, 2);
    set t = set_make(12, 1, 3);
    bml_classify_config c = {0};
    bml_classify_model *m = NULL;
    double p[36];
    double sd[36];
    double worst = 0;
    memcpy(s.x, lr_x, sizeof lr_x);
    memcpy(s.y, lr_y, sizeof lr_y);
    int status = bml_classify_fit(&m, &c, &s.data, NULL, 0, why);
    if (!status) {
        status = bml_classify_predict(p, sd, m, &s.data, NULL, 10);
    }
    for (int i = 0; i < 10 && !status; i++) {
        worst = fmax(worst, fabs(p[2 * i + 1] - want[i]));
    }
    CHECK(status == 0, "logistic regression (%s)", why);
    CHECK_LE(worst, 1e-6, "probabilities against scikit-learn's (its own tolerance is about 1e-7)");
    bml_classify_model_free(m);
    /* one feature of two values, three classes, hardly any penalty: the shares in each group, 3:2:1 and 1:1:4 */
    for (int i = 0; i < 12; i++) {
        t.x[i] = i < 6 ? 0 : 1;
        t.y[i] = i < 6 ? (i < 3 ? 0 : i < 5 ? 1 : 2) : (i < 7 ? 0 : i < 8 ? 1 : 2);
    }
    c.l2 = 1e-7;
    status = bml_classify_fit(&m, &c, &t.data, NULL, 0, why);
    if (!status) {
        status = bml_classify_predict(p, sd, m, &t.data, NULL, 12);
    }
    CHECK(status == 0 && fabs(p[0] - 0.5) < 1e-5 && fabs(p[1] - 1.0 / 3) < 1e-5 && fabs(p[2 + 33] - 2.0 / 3) < 1e-5,
          "three classes: the shares in each group");
    bml_classify_model_free(m);
    /* a constant feature: p is the share of class 1 and its sd that of a binomial share */
    for (int i = 0; i < 12; i++) {
        t.x[i] = 5;
        t.y[i] = i < 3;
    }
    t.data.n_class = 2;
    status = bml_classify_fit(&m, &c, &t.data, NULL, 0, why);
    if (!status) {
        status = bml_classify_predict(p, sd, m, &t.data, NULL, 12);
    }
    int k = status == 0;
    CHECK(k && fabs(p[1] - 0.25) < 1e-6, "a constant feature: the share");
    CHECK_NEAR(sd[1], sqrt(0.25 * 0.75 / 12), 1e-6, "and its binomial error");
    bml_classify_model_free(m);
    set_free(&s);
    set_free(&t);
}

/* ---- kernels ---- */

/* x[n] = M^-1 x, by elimination; M[n][n] is used up. */
static void eliminate(double *x, double *M, int n) {
    for (int k = 0; k < n; k++) {
        for (int i = 0; i < n; i++) {
            double q = M[i * n + k] / M[k * n + k];
            if (i == k) continue;
            for (int j = k; j < n; j++) {
                M[i * n + j] -= q * M[k * n + j];
            }
            x[i] -= q * x[k];
        }
    }
    for (int k = 0; k < n; k++) {
        x[k] /= M[k * n + k];
    }
}

enum { KERNEL_ROWS = 40 };
enum { KERNEL_ALL = KERNEL_ROWS + 10 };

typedef struct kernel_case {
    double l2, scale;
    double z[2 * KERNEL_ALL]; /* standardised features, of training rows first */
    double p[2 * KERNEL_ALL];
    double sd[2 * KERNEL_ALL];
    int y[KERNEL_ALL];
} kernel_case;

/* k of two rows, two features: 1/(1 + |a - b|^2/(2 d s^2)), d = 2. */
static double rational_quadratic(const kernel_case *t, int i, int j) {
    const double *a = t->z + 2 * i;
    const double *b = t->z + 2 * j;
    double x = a[0] - b[0];
    double y = a[1] - b[1];
    return 1 / (1 + (x * x + y * y) / (4 * t->scale * t->scale));
}

/* M = K/l2 + W^-1, W = p (1 - p): Laplace's (Rasmussen & Williams 2006, eq. 3.24). */
static void laplace_matrix(double *M, const kernel_case *t) {
    for (int i = 0; i < KERNEL_ROWS; i++) {
        for (int j = 0; j < KERNEL_ROWS; j++) {
            M[i * KERNEL_ROWS + j] = rational_quadratic(t, i, j) / t->l2;
        }
        M[i * KERNEL_ROWS + i] += 1 / (t->p[2 * i] * t->p[2 * i + 1]);
    }
}

/* The variance of f at row i, by kriging with a free mean: eq. 2.42 there, with M. */
static double kriging_variance(const kernel_case *t, int i) {
    static double M[KERNEL_ROWS * KERNEL_ROWS];
    double k1[KERNEL_ROWS];
    double one[KERNEL_ROWS];
    double q = 0;
    double u = 0;
    double sum = 0;
    for (int j = 0; j < KERNEL_ROWS; j++) {
        k1[j] = rational_quadratic(t, i, j) / t->l2;
        one[j] = 1;
    }
    laplace_matrix(M, t);
    eliminate(k1, M, KERNEL_ROWS);
    laplace_matrix(M, t);
    eliminate(one, M, KERNEL_ROWS);
    for (int j = 0; j < KERNEL_ROWS; j++) {
        q += k1[j] * rational_quadratic(t, i, j) / t->l2;
        u += k1[j];
        sum += one[j];
    }
    return 1 / t->l2 - q + (1 - u) * (1 - u) / sum;
}

/* Features standardised by the training rows' means and sds. */
static void standardise(kernel_case *t, const double *x) {
    for (int k = 0; k < 2; k++) {
        double mean = 0;
        double square = 0;
        for (int i = 0; i < KERNEL_ROWS; i++) {
            mean += x[2 * i + k] / KERNEL_ROWS;
        }
        for (int i = 0; i < KERNEL_ROWS; i++) {
            square += pow(x[2 * i + k] - mean, 2) / KERNEL_ROWS;
        }
        for (int i = 0; i < KERNEL_ALL; i++) {
            t->z[2 * i + k] = (x[2 * i + k] - mean) / sqrt(square);
        }
    }
}

/* Where the penalised likelihood is highest, a_i = (y_i - p_i)/l2, as its gradient in f says, and sum (y - p) = 0; the
   variance of f is that of kriging. */
static void check_kernel(const kernel_case *t) {
    double lo = 1e9;
    double hi = -1e9;
    double sum = 0;
    double worst = 0;
    for (int i = 0; i < KERNEL_ALL; i++) {
        const double *p = t->p + 2 * i;
        double f = log(p[1] / p[0]);
        for (int j = 0; j < KERNEL_ROWS; j++) {
            f -= rational_quadratic(t, i, j) * (t->y[j] - t->p[2 * j + 1]) / t->l2;
        }
        lo = fmin(lo, f);
        hi = fmax(hi, f);
        if (i < KERNEL_ROWS) {
            sum += t->y[i] - p[1];
        }
        double want = p[0] * p[1] * sqrt(kriging_variance(t, i));
        worst = fmax(worst, fabs(t->sd[2 * i] - want));
    }
    /* 1e-8 is added to the diagonal of K: it moves f by 1e-8/l2 times the length of y - p at most, 4e-7; for rows that
       are not centres by more, as K is all but singular */
    CHECK_LE(hi - lo, 1e-5, "log odds less sum k (y - p)/l2: a constant");
    CHECK_LE(fabs(sum), 1e-7, "sum of y - p");
    CHECK_LE(worst, 1e-5, "sd by kriging");
}

static void test_kernel(void) {
    static kernel_case t;
    char why[BML_CLASSIFY_MESSAGE] = "";
    bml_classify_rng r = stream(26);
    set s = set_make(KERNEL_ALL, 2, 2);
    bml_classify_config c = {0};
    bml_classify_model *m = NULL;
    int rows[KERNEL_ROWS];
    t.l2 = 0.1;
    t.scale = 0.8;
    for (int i = 0; i < 2 * KERNEL_ALL; i++) {
        s.x[i] = 2 * uniform(&r) - 1;
    }
    s.x[2 * KERNEL_ALL - 1] = 1e5; /* far from all */
    for (int i = 0; i < KERNEL_ALL; i++) {
        s.y[i] = i < 4 ? i % 2 : s.x[2 * i] * s.x[2 * i + 1] > 0.3 * normal(&r);
    }
    for (int i = 0; i < KERNEL_ROWS; i++) {
        rows[i] = i;
    }
    memcpy(t.y, s.y, sizeof t.y);
    standardise(&t, s.x);
    c.model = BML_CLASSIFY_KERNEL;
    c.l2 = t.l2;
    c.scale = t.scale;
    int status = bml_classify_fit(&m, &c, &s.data, rows, KERNEL_ROWS, why);
    if (!status) {
        status = bml_classify_predict(t.p, t.sd, m, &s.data, NULL, KERNEL_ALL);
    }
    CHECK(status == 0, "kernel regression (%s)", why);
    if (!status) check_kernel(&t);
    const double *last = t.p + 2 * (KERNEL_ALL - 1);
    CHECK(t.sd[2 * KERNEL_ALL - 1] > last[0] * last[1] / sqrt(t.l2), "far away: the prior's, and that of the mean");
    bml_classify_model_free(m);
    set_free(&s);
}

/* ---- trees ---- */

static double auc_of(const bml_classify_model *m, const set *s) {
    double *p = malloc((size_t)s->data.n * 2 * sizeof *p);
    double *score = malloc((size_t)s->data.n * sizeof *score);
    if (!p || !score || bml_classify_predict(p, NULL, m, &s->data, NULL, s->data.n)) {
        exit(1);
    }
    for (int i = 0; i < s->data.n; i++) {
        score[i] = p[2 * i + 1];
    }
    double auc = bml_classify_auc(score, s->y, NULL, s->data.n);
    free(p);
    free(score);
    return auc;
}

static void test_boost_step(void) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    set s = set_make(40, 1, 2);
    bml_classify_config c = {0};
    bml_classify_model *m = NULL;
    double p[80];
    double base = log(0.35 / 0.65);
    double q = 0.35;
    /* 20 rows with x = 0, 2 of class 1; 20 with x = 1, 12 of class 1: one stump, one Newton step, l2 = 2, rate 1 */
    for (int i = 0; i < 40; i++) {
        s.x[i] = i >= 20;
        s.y[i] = i < 2 || i >= 28;
    }
    c.model = BML_CLASSIFY_BOOST;
    c.trees = c.depth = 1;
    c.rate = c.row_share = c.column_share = 1;
    c.l2 = 2;
    int status = bml_classify_fit(&m, &c, &s.data, NULL, 0, why);
    if (!status) {
        status = bml_classify_predict(p, NULL, m, &s.data, NULL, 40);
    }
    CHECK(status == 0, "one step of boosting (%s)", why);
    double left = -(20 * q - 2) / (20 * q * (1 - q) + 2); /* -G/(H + l2) */
    double right = -(20 * q - 12) / (20 * q * (1 - q) + 2);
    CHECK_NEAR(p[1], 1 / (1 + exp(-base - left)), 1e-14, "left leaf");
    CHECK_NEAR(p[79], 1 / (1 + exp(-base - right)), 1e-14, "right leaf");
    bml_classify_model_free(m);
    set_free(&s);
}

/* Class by the sign of x y: no linear rule, easy for trees; and trees only see the order of values. */
static void test_trees(void) {
    enum { N = 600 };
    char why[BML_CLASSIFY_MESSAGE] = "";
    bml_classify_rng r = stream(14);
    set s = set_make(N, 2, 2);
    set t = set_make(N, 2, 2);
    set u = set_make(N, 2, 2);
    bml_classify_config c = {0};
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < 2; k++) {
            s.x[2 * i + k] = 2 * uniform(&r) - 1;
            t.x[2 * i + k] = 2 * uniform(&r) - 1;
            u.x[2 * i + k] = exp(5 * s.x[2 * i + k]);
        }
        s.y[i] = u.y[i] = s.x[2 * i] * s.x[2 * i + 1] > 0;
        t.y[i] = t.x[2 * i] * t.x[2 * i + 1] > 0;
    }
    for (int kind = 0; kind < 4; kind++) {
        bml_classify_model *m = NULL;
        bml_classify_model *same = NULL;
        bml_classify_model *other = NULL;
        static const char *const name[4] = {"logistic regression", "forest", "boosting", "forest of random cuts"};
        double p[2 * N];
        double q[2 * N];
        double worst = 0;
        c.model = kind == 3 ? BML_CLASSIFY_FOREST : kind;
        c.random_cuts = kind == 3;
        c.column_share = kind ? 1 : 0;
        c.trees = 100;
        if (bml_classify_fit(&m, &c, &s.data, NULL, 0, why) || bml_classify_fit(&same, &c, &s.data, NULL, 0, why) ||
            bml_classify_fit(&other, &c, &u.data, NULL, 0, why)) {
            CHECK(0, "%s: %s", name[kind], why);
            continue;
        }
        double auc = auc_of(m, &t);
        /* chance: sd of an AUC of 600 rows is 0.024; 5 sigma */
        if (!kind)
            CHECK_NEAR(auc, 0.5, 0.12, "logistic regression cannot tell the sign of a product");
        else
            CHECK_LE(1 - auc, 0.02, name[kind]);
        bml_classify_predict(p, NULL, m, &t.data, NULL, N);
        bml_classify_predict(q, NULL, same, &t.data, NULL, N);
        CHECK(!memcmp(p, q, sizeof p), "%s: same seed, same bits", name[kind]);
        bml_classify_predict(p, NULL, m, &s.data, NULL, N);
        bml_classify_predict(q, NULL, other, &u.data, NULL, N);
        for (int i = 0; i < 2 * N; i++) {
            worst = fmax(worst, fabs(p[i] - q[i]));
        }
        if (kind) CHECK_LE(worst, 1e-12, "the same answers to training rows after a monotone change of the features");
        bml_classify_model_free(m);
        bml_classify_model_free(same);
        bml_classify_model_free(other);
    }
    set_free(&s);
    set_free(&t);
    set_free(&u);
}

/* Three classes on a line: every model with more than two classes. */
static void test_three_classes(void) {
    enum { N = 450 };
    char why[BML_CLASSIFY_MESSAGE] = "";
    bml_classify_rng r = stream(15);
    set s = set_make(N, 2, 3);
    for (int i = 0; i < N; i++) {
        s.y[i] = i % 3;
        s.x[2 * i] = 4 * s.y[i] + normal(&r);
        s.x[2 * i + 1] = normal(&r);
    }
    for (int kind = 0; kind <= BML_CLASSIFY_KERNEL; kind++) {
        bml_classify_config c = {0};
        bml_classify_scores q = {0};
        double p[3 * N];
        double worst = 0;
        if (kind == BML_CLASSIFY_RNN || kind == BML_CLASSIFY_BNN) continue; /* test_networks */
        c.model = kind;
        c.trees = 60;
        c.centres = 60;
        int status = bml_classify_cross_validate(&q, p, &c, &s.data, 5, why);
        for (int i = 0; i < N && !status; i++) {
            worst = fmax(worst, fabs(p[3 * i] + p[3 * i + 1] + p[3 * i + 2] - 1));
        }
        CHECK(status == 0 && worst < 1e-12, "%s, three classes: probabilities add up to 1 (%s)",
              bml_classify_model_name(kind), why);
        /* neighbours 4 sd apart: the best rule errs in 2/3 x 2 x 2.3 % = 3 %; three times that */
        CHECK_LE(1 - q.accuracy, 0.09, "its error rate");
    }
    set_free(&s);
}

/* ---- balance ---- */

/* |a-x| + |x-b| = |a-b| for two different rows of the class. */
static int between_rows(const double *x, const double *z, const int *y, int n) {
    for (int k = 0; k < n; k++) {
        for (int l = 0; l < n; l++) {
            const double *u = z + 2 * k;
            const double *v = z + 2 * l;
            double a = hypot(u[0] - x[0], u[1] - x[1]);
            double b = hypot(v[0] - x[0], v[1] - x[1]);
            double ab = hypot(u[0] - v[0], u[1] - v[1]);
            if (k != l && y[k] && y[l] && fabs(a + b - ab) < 1e-9) {
                return 1;
            }
        }
    }
    return 0;
}

static void test_smote(void) {
    enum { MINOR = 6 };
    enum { MAJOR = 40 };
    enum { OLD = MINOR + MAJOR };
    enum { ALL = 2 * MAJOR };
    bml_classify_rng r = stream(16);
    bml_classify_config c = {0};
    const int have[2] = {MAJOR, MINOR};
    int want[2];
    double z[2 * ALL];
    double old[2 * OLD];
    int y[ALL];
    int list[OLD];
    bml_classify__sample s;
    memset(&s, 0, sizeof s);
    for (int i = 0; i < OLD; i++) {
        y[i] = i % 7 == 0 && i < 42;
        z[2 * i] = normal(&r) + 100 * y[i];
        z[2 * i + 1] = normal(&r);
    }
    memcpy(old, z, sizeof old);
    s.z = z;
    s.y = y;
    s.n = OLD;
    s.d = 2;
    s.n_class = 2;
    c.smote = BML_CLASSIFY_SMOTE_MINORITY;
    CHECK(bml_classify__smote_targets(want, have, 2, &c) == ALL && want[1] == MAJOR,
          "SMOTE brings the small class to the large");
    bml_classify__smote(&s, want, have, list, seed_of);
    CHECK(s.n == ALL && !memcmp(s.z, old, sizeof old), "the rows that were there stay");
    int good = 1;
    for (int i = OLD; i < s.n; i++) {
        good = good && y[i] == 1 && between_rows(z + 2 * i, old, y, OLD);
    }
    CHECK(good, "every new row is of that class and lies between two of its rows");
    c.smote = BML_CLASSIFY_SMOTE_FULL;
    CHECK(bml_classify__smote_targets(want, have, 2, &c) == 4 * MAJOR, "full: each class to twice the largest");
}

/* ---- stacks, calibration, leakage ---- */

/* A configuration of each kind, with SMOTE and calibration on; members must outlive it. */
static bml_classify_config config_of(int kind, bml_classify_config *member) {
    bml_classify_config c = {0};
    memset(member, 0, 2 * sizeof *member);
    member[1].model = BML_CLASSIFY_BOOST;
    member[1].trees = 20;
    c.model = kind;
    c.smote = kind == BML_CLASSIFY_STACK ? 0 : BML_CLASSIFY_SMOTE_MINORITY;
    c.calibrate = BML_CLASSIFY_TEMPERATURE;
    c.folds = 3;
    c.trees = 20;
    c.epochs = 3;
    c.draws = 5;
    c.seed = seed_of;
    c.member = member;
    c.n_members = 2;
    return c;
}

/* What a model says of the test rows does not change when everything but the training rows does. */
static void test_leakage(void) {
    enum { N = 200 };
    enum { TRAIN = 120 };
    char why[BML_CLASSIFY_MESSAGE] = "";
    int rows[N];
    for (int kind = 0; kind < BML_CLASSIFY_N_MODELS; kind++) {
        set s = set_normal(N, 4, 1, 17);
        set t = set_normal(N, 4, 1, 17);
        bml_classify_config member[2];
        bml_classify_config c = config_of(kind, member);
        bml_classify_model *a = NULL;
        bml_classify_model *b = NULL;
        double p[2 * N];
        double q[2 * N];
        double sd[2 * N];
        for (int i = 0; i < N; i++) {
            rows[i] = i;
        }
        for (int i = 0; i < TRAIN; i++) {
            s.y[i] = t.y[i] = i % 3 == 0;
        }
        for (int i = TRAIN; i < N; i++) {
            t.y[i] = 1 - t.y[i];
            for (int k = 0; k < 4; k++) {
                t.x[4 * i + k] = 1e6;
            }
        }
        int status = bml_classify_fit(&a, &c, &s.data, rows, TRAIN, why);
        if (!status) {
            status = bml_classify_fit(&b, &c, &t.data, rows, TRAIN, why);
        }
        if (!status) {
            status = bml_classify_predict(p, sd, a, &s.data, rows + TRAIN, N - TRAIN);
        }
        if (!status) {
            status = bml_classify_predict(q, NULL, b, &s.data, rows + TRAIN, N - TRAIN);
        }
        CHECK(status == 0, "%s with SMOTE and calibration (%s)", bml_classify_model_name(kind), why);
        CHECK(!status && !memcmp(p, q, 2 * (N - TRAIN) * sizeof *p), "%s: test rows leave no trace in the model",
              bml_classify_model_name(kind));
        bml_classify_model_free(a);
        bml_classify_model_free(b);
        set_free(&s);
        set_free(&t);
    }
}

/* The stationary point of sum log(sum_m w_m p_m) + P sum log w_m with sum w = 1: w_m (N + M P) = w_m sum_i p_mi/mix_i +
   P. The target is concave, so that it is the maximum. */
static void test_mix(void) {
    enum { N = 400 };
    enum { M = 3 };
    static double p[M * N * 2];
    static double own[M * N];
    double next[M];
    bml_classify_rng r = stream(18);
    double weight[M];
    double gradient[M] = {0, 0, 0};
    double sum = 0;
    double worst = 0;
    int y[N];
    for (int i = 0; i < N; i++) {
        double a = normal(&r);
        y[i] = uniform(&r) < 1 / (1 + exp(-a));
        for (int m = 0; m < M; m++) {
            double q = m == 2 ? uniform(&r) : 1 / (1 + exp(-a - 0.8 * normal(&r)));
            p[(m * N + i) * 2 + 1] = q;
            p[(m * N + i) * 2] = 1 - q;
        }
    }
    for (int m = 0; m < M; m++) {
        for (int i = 0; i < N; i++) {
            own[m * N + i] = p[(m * N + i) * 2 + y[i]];
        }
    }
    bml_classify__mix(weight, next, own, M, N);
    for (int m = 0; m < M; m++) {
        sum += weight[m];
    }
    for (int i = 0; i < N; i++) {
        double mixed = 0;
        for (int m = 0; m < M; m++) {
            mixed += weight[m] * p[(m * N + i) * 2 + y[i]];
        }
        for (int m = 0; m < M; m++) {
            gradient[m] += p[(m * N + i) * 2 + y[i]] / mixed / N;
        }
    }
    for (int m = 0; m < M; m++) {
        worst = fmax(worst, fabs(weight[m] * (1 + 20.0 * M / N) - weight[m] * gradient[m] - 20.0 / N));
    }
    CHECK_NEAR(sum, 1, 1e-12, "weights of a stack add up to 1");
    CHECK_LE(worst, 1e-6, "and are the best ones (EM converges geometrically; 300 rounds leave less than this)");
    CHECK(weight[2] < weight[0] && weight[2] < weight[1], "the member that knows nothing gets least: %.3f %.3f %.3f",
          weight[0], weight[1], weight[2]);
}

/* Overconfident trees are put right by calibration learned within the training rows. */
static void test_calibrated(void) {
    enum { N = 3000 };
    char why[BML_CLASSIFY_MESSAGE] = "";
    int rows[N];
    int n_train = 0;
    int n_test = 0;
    int status = 0;
    double error[3] = {1, 1, 1};
    double loss[3] = {9, 9, 9};
    set s = set_normal(N, 5, 1, 19);
    status = bml_classify_split(rows, &n_train, &n_test, &s.data, 0.5, seed_of, why);
    for (int kind = 0; kind < 3 && !status; kind++) {
        bml_classify_config c = {0};
        bml_classify_model *m = NULL;
        bml_classify_scores q = {0};
        double p[2 * N];
        int y[N];
        c.model = BML_CLASSIFY_BOOST;
        c.trees = 200;
        c.depth = 5;
        c.rate = 0.3;
        c.min_leaf = 3;
        c.l2 = 0.1; /* far too eager */
        c.calibrate = kind;
        status = bml_classify_fit(&m, &c, &s.data, rows, n_train, why);
        if (!status) {
            status = bml_classify_predict(p, NULL, m, &s.data, rows + n_train, n_test);
        }
        for (int i = 0; i < n_test; i++) {
            y[i] = s.y[rows[n_train + i]];
        }
        if (!status) {
            status = bml_classify_score(&q, p, y, NULL, n_test, 2);
        }
        error[kind] = q.calibration_error;
        loss[kind] = q.log_loss;
        bml_classify_model_free(m);
    }
    CHECK(status == 0 && error[0] > 0.1, "an eager model is overconfident: calibration error %.3f (%s)", error[0], why);
    /* 1500 rows in ten bins: sd of a bin's share about 0.04, so about 0.03 are left by chance alone */
    CHECK_LE(error[1], 0.06, "calibration error after temperature scaling");
    CHECK_LE(error[2], 0.06, "calibration error after isotonic regression");
    CHECK(loss[1] < loss[0] && loss[2] < loss[0], "and log loss falls: %.3f, %.3f from %.3f", loss[1], loss[2],
          loss[0]);
    set_free(&s);
}

/* ---- explanation and domain ---- */

/* The coefficients per sd of a logistic regression: how its log odds change when a feature does. */
static void coefficients(double *beta, const bml_classify_model *m, const bml_classify_data *data) {
    bml_classify_data two = *data;
    double x[6];
    double p[4];
    two.n = 2;
    two.x = x;
    for (int j = 0; j < 3; j++) {
        double mean = 0;
        double var = 0;
        for (int i = 0; i < data->n; i++) {
            mean += data->x[3 * i + j] / data->n;
        }
        for (int i = 0; i < data->n; i++) {
            var += pow(data->x[3 * i + j] - mean, 2) / data->n;
        }
        for (int k = 0; k < 6; k++) {
            x[k] = k == 3 + j ? sqrt(var) : 0;
        }
        if (bml_classify_predict(p, NULL, m, &two, NULL, 2)) {
            exit(1);
        }
        beta[j] = log(p[3] / p[2]) - log(p[1] / p[0]);
    }
}

static void test_importance(void) {
    enum { N = 400 };
    char why[BML_CLASSIFY_MESSAGE] = "";
    set s = set_normal(N, 3, 1.5, 20);
    bml_classify_config c = {0};
    bml_classify_model *m = NULL;
    double gradient[3] = {0, 0, 0};
    double fall[3] = {0, 0, 0};
    double sum = 0;
    for (int i = 0; i < N; i++) {
        s.x[3 * i + 1] += 0.5 * s.y[i];
    }
    int status = bml_classify_fit(&m, &c, &s.data, NULL, 0, why);
    if (!status) {
        status = bml_classify_gradient_importance(gradient, m, &s.data, NULL, N);
    }
    if (!status) {
        status = bml_classify_permutation_importance(fall, m, &s.data, NULL, N, 5, seed_of);
    }
    CHECK(status == 0, "importances (%s)", why);
    if (status) return;
    double beta[3];
    coefficients(beta, m, &s.data);
    for (int i = 0; i < 3; i++) {
        sum += fabs(beta[i]);
    }
    for (int i = 0; i < 3; i++) { /* |dp/dx_j| = p(1-p)|beta_j|; the step of 0.05 sd curves by (0.05 beta)^2/6 */
        CHECK_NEAR(gradient[i], fabs(beta[i]) / sum, 1e-3,
                   "gradient importance of a logistic regression: its coefficients");
    }
    CHECK(fall[0] > fall[1] && fall[1] > fall[2] && fabs(fall[2]) < 0.01,
          "permutation importance: %.3f > %.3f > %.3f, near 0", fall[0], fall[1], fall[2]);
    bml_classify_model_free(m);
    /* a stump that looks at one feature only: the others fall by exactly nothing */
    c.model = BML_CLASSIFY_BOOST;
    c.trees = c.depth = 1;
    c.column_share = c.row_share = 1;
    status = bml_classify_fit(&m, &c, &s.data, NULL, 0, why);
    if (!status) {
        status = bml_classify_permutation_importance(fall, m, &s.data, NULL, N, 2, seed_of);
    }
    CHECK(status == 0 && fall[0] > 0.05 && fabs(fall[1]) + fabs(fall[2]) < 1e-300,
          "features that are not used have importance 0");
    bml_classify_model_free(m);
    set_free(&s);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A line of points one apart: distances to the five nearest are 1, 1, 2, 2, 3 inside, mean 1.8. */
static void test_domain(void) {
    enum { N = 101 };
    set s = set_make(N + 2, 1, 2);
    double distance[N + 2];
    double value[200];
    double target[90];
    double weight[200];
    double share[3] = {0, 0, 0};
    double mean = 0;
    int train[N];
    bml_classify_rng r = stream(21);
    for (int i = 0; i < N; i++) {
        s.x[i] = i;
        train[i] = i;
    }
    s.x[N] = 50.5;     /* 0.5, 0.5, 1.5, 1.5, 2.5: mean 1.3 */
    s.x[N + 1] = 1100; /* 1000 ... 1004: mean 1002 */
    int status = bml_classify_domain_distance(distance, &s.data, NULL, N + 2, train, N, NULL, 0);
    CHECK(status == 0, "domain distance");
    CHECK_NEAR(distance[N], 1.3 / 1.8, 1e-10, "between two training rows");
    CHECK_NEAR(distance[N + 1], 1002 / 1.8, 1e-6, "far outside");
    CHECK(bml_classify_domain_distance(distance, &s.data, NULL, N, train, 6, NULL, 0) == BML_CLASSIFY_TOO_FEW,
          "too few rows");
    set_free(&s);
    for (int i = 0; i < 200; i++) {
        value[i] = uniform(&r);
    }
    for (int i = 0; i < 90; i++) {
        target[i] = uniform(&r) * uniform(&r); /* fainter */
    }
    double covered;
    status = bml_classify_match_weights(weight, &covered, value, 200, target, 90, 3);
    for (int i = 0; i < 200; i++) {
        mean += weight[i] / 200;
    }
    CHECK(status == 0 && fabs(mean - 1) < 1e-12 && fabs(covered - 1) < 1e-12, "weights of mean 1");
    {
        double sorted[90];
        memcpy(sorted, target, sizeof sorted);
        qsort(sorted, 90, sizeof *sorted, by_value);
        for (int i = 0; i < 200; i++) {
            share[value[i] <= sorted[29] ? 0 : value[i] <= sorted[59] ? 1 : 2] += weight[i] / 200;
        }
    }
    CHECK(fabs(share[0] - 1.0 / 3) < 1e-12 && fabs(share[1] - 1.0 / 3) < 1e-12,
          "weighted, a third of the rows in each third of the targets");
    for (int i = 0; i < 200; i++) {
        value[i] += 2;
    }
    bml_classify_match_weights(weight, &covered, value, 200, target, 90, 3);
    CHECK_NEAR(covered, 1.0 / 3, 1e-12, "targets that no row resembles are said to be uncovered");
}

/* ---- bad input ---- */

static void test_refusals(void) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    set s = set_normal(40, 3, 1, 22);
    bml_classify_config c = {0};
    bml_classify_model *m = NULL;
    double p[80];
    int rows[2] = {0, 99};
    CHECK(bml_classify_fit(&m, &c, &s.data, rows, 2, why) == BML_CLASSIFY_BAD_ARGUMENT, "a row that is not there: %s",
          why);
    c.l2 = -1;
    CHECK(bml_classify_fit(&m, &c, &s.data, NULL, 0, why) == BML_CLASSIFY_BAD_ARGUMENT, "a negative penalty: %s", why);
    CHECK(strstr(why, "logistic: l2 = -1: must be in [0, 1e+30]"), "which names member, value and range");
    c.l2 = (double)NAN;
    CHECK(bml_classify_fit(&m, &c, &s.data, NULL, 0, why) == BML_CLASSIFY_BAD_ARGUMENT, "a penalty of NaN: %s", why);
    c.l2 = 0;
    c.model = 99;
    CHECK(bml_classify_fit(&m, &c, &s.data, NULL, 0, why) == BML_CLASSIFY_BAD_ARGUMENT, "no such model: %s", why);
    c.model = BML_CLASSIFY_STACK;
    CHECK(bml_classify_fit(&m, &c, &s.data, NULL, 0, why) == BML_CLASSIFY_BAD_ARGUMENT, "a stack of nothing: %s", why);
    c.model = 0;
    bml_classify_scores q;
    CHECK(bml_classify_cross_validate(&q, NULL, &c, &s.data, 21, why) == BML_CLASSIFY_TOO_FEW,
          "fewer rows than folds: %s", why);
    for (int i = 0; i < 40; i++) {
        s.x[3 * i + 2] = (double)NAN;
    }
    CHECK(bml_classify_fit(&m, &c, &s.data, NULL, 0, why) == BML_CLASSIFY_EMPTY_COLUMN && strstr(why, "feature 3"),
          "an all-NaN column: %s", why);
    for (int i = 0; i < 40; i++) {
        s.x[3 * i + 2] = i == 7 ? (double)INFINITY : 1;
    }
    CHECK(bml_classify_fit(&m, &c, &s.data, NULL, 0, why) == BML_CLASSIFY_BAD_VALUE && strstr(why, "row 8, feature 3"),
          "an infinity: %s", why);
    s.x[23] = (double)NAN; /* one missing value is no fault */
    CHECK(bml_classify_fit(&m, &c, &s.data, NULL, 0, why) == 0 &&
              !bml_classify_predict(p, NULL, m, &s.data, NULL, 40) && isfinite(p[15]),
          "a missing value is filled");
    s.data.d = 2;
    CHECK(bml_classify_predict(p, NULL, m, &s.data, NULL, 40) == BML_CLASSIFY_BAD_ARGUMENT, "data of another shape");
    s.data.d = 3;
    bml_classify_model_free(m);
    for (int i = 0; i < 40; i++) {
        s.y[i] = 1;
    }
    CHECK(bml_classify_fit(&m, &c, &s.data, NULL, 0, why) == BML_CLASSIFY_ONE_CLASS && !m, "one class: %s", why);
    set_free(&s);
}

/* ---- networks ---- */

static void test_networks(void) {
    enum { N = 600 };
    char why[BML_CLASSIFY_MESSAGE] = "";
    bml_classify_rng r = stream(23);
    set s = set_make(N, 3, 2);
    set t = set_make(N, 3, 2);
    int group[3] = {BML_CLASSIFY_ENERGY, BML_CLASSIFY_TIME, BML_CLASSIFY_PLACE};
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < 3; k++) {
            s.x[3 * i + k] = 2 * uniform(&r) - 1;
            t.x[3 * i + k] = 2 * uniform(&r) - 1;
        }
    }
    s.data.group = t.data.group = group;
    for (int kind = BML_CLASSIFY_DNN; kind <= BML_CLASSIFY_BNN; kind++) {
        bml_classify_config c = {0};
        bml_classify_model *m = NULL;
        double p[2 * N];
        double sd[2 * N];
        double mean = 0;
        int good = 1;
        int linear = kind != BML_CLASSIFY_DNN;
        /* the sign of a product needs hidden layers over both branches, which the recurrent net has not; and the
           Bayesian one is pulled to nothing by its prior on so few rows: these get the sign of a sum */
        for (int i = 0; i < N; i++) {
            s.y[i] = linear ? s.x[3 * i] + s.x[3 * i + 1] > 0 : s.x[3 * i] * s.x[3 * i + 1] > 0;
            t.y[i] = linear ? t.x[3 * i] + t.x[3 * i + 1] > 0 : t.x[3 * i] * t.x[3 * i + 1] > 0;
        }
        c.model = kind;
        c.epochs = quick ? 2 : 100;
        c.rate = linear ? 0.003 : 0.01;
        c.draws = 50;
        c.copies = kind == BML_CLASSIFY_BNN ? 1 : 2;
        c.seed = seed_of;
        int status = bml_classify_fit(&m, &c, &s.data, NULL, 0, why);
        CHECK(status == 0, "a %s of two branches and a place (%s)", bml_classify_model_name(kind), why);
        if (status) continue;
        if (!quick) {
            CHECK_LE(1 - auc_of(m, &t), 0.06, "1 - AUC on rows that it has not seen");
        }
        bml_classify_predict(p, sd, m, &t.data, NULL, N);
        for (int i = 0; i < 2 * N; i++) {
            good = good && sd[i] >= 0 && sd[i] < 0.5 + 1e-9 && p[i] >= 0 && p[i] <= 1;
            mean += sd[i] / (2 * N);
        }
        CHECK(good && mean > 1e-4, "%s: probabilities have a scatter, %.4f in the mean", bml_classify_model_name(kind),
              mean);
        bml_classify_model_free(m);
    }
    set_free(&s);
    set_free(&t);
}

/* ---- the real catalogue ---- */

static void test_real(void) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    const char *path = check_data("fermi/4fgl_dr2.fits");
    bml_classify_table *t = NULL;
    bml_classify_table *list = NULL;
    bml_classify_catalog *c = NULL;
    bml_classify_features f = {0};
    bml_classify_data *d = NULL;
    bml_classify_config config = {0};
    bml_classify_scores s = {0};
    bml_classify_scores shuffled = {0};
    bml_classify_rng r = stream(24);
    int young = 0;
    int fast = 0;
    int count[BML_CLASSIFY_N_KINDS] = {0};
    if (!path) {
        SKIP("no real data here");
        return;
    }
    int status = bml_classify_table_read(&t, path, why);
    if (status == BML_CLASSIFY_NO_FITS) {
        SKIP("the real catalogue: %s", why);
        return;
    }
    if (!status) status = bml_classify_catalog_create(&c, t, why);
    if (!status) {
        status = bml_classify_table_read(&list, check_data("fermi/lat_pulsars.csv"), why);
    }
    if (!status) {
        status = bml_classify_match_pulsars(&young, &fast, c, list, why);
    }
    CHECK(status == 0, "4FGL-DR2 and the pulsar list (%s)", why);
    if (status) return;
    for (int i = 0; i < c->n; i++) {
        count[c->kind[i]]++;
    }
    CHECK(c->n == 5788 && c->n_bands == 7 && c->n_years == 10, "5788 sources, 7 bands, 10 years");
    CHECK(count[BML_CLASSIFY_BLANK] == 1679 && count[BML_CLASSIFY_BCU] == 1517, "1679 blank, 1517 bcu");
    CHECK(young == 123 && fast == 109, "123 young and 109 millisecond pulsars");
    f.kinds = BML_CLASSIFY_LOG | BML_CLASSIFY_DERIVED;
    status = bml_classify_data_from_catalog(&d, c, &f, why);
    if (!status) {
        status = bml_classify_cross_validate(&s, NULL, &config, d, 5, why);
    }
    /* another program's logistic regression on such features gave 98.4 +- 0.9 % over splits: 3 sigma below */
    CHECK(status == 0 && s.auc > 0.957, "AGN or pulsar, logistic regression: AUC %.4f +- %.4f (%s)", s.auc, s.auc_error,
          why);
    for (int i = d->n - 1; i > 0 && !status; i--) {
        int k = (int)(uniform(&r) * (i + 1));
        int t_i = d->y[i];
        d->y[i] = d->y[k];
        d->y[k] = t_i;
    }
    if (!status) {
        status = bml_classify_cross_validate(&shuffled, NULL, &config, d, 5, why);
    }
    /* out-of-fold scores share training rows, which widens the scatter a little: 5 sigma */
    CHECK(status == 0 && fabs(shuffled.auc - 0.5) < 5 * shuffled.auc_error, "shuffled labels: AUC %.4f +- %.4f",
          shuffled.auc, shuffled.auc_error);
    bml_classify_data_free(d);
    bml_classify_catalog_free(c);
    bml_classify_table_free(t);
    bml_classify_table_free(list);
}

/* A CSV table compressed by hand: one stored block of deflate. */
static void test_compressed(void) {
    static const char *const name = "build/test_classify.csv.gz";
    static const char text[] = "a,b\n1,2\n";
    static const unsigned char head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1, 8, 0, 0xf7, 0xff};
    static const unsigned char tail[] = {0x7b, 0x07, 0x97, 0x0a, 8, 0, 0, 0}; /* CRC-32, size */
    char why[BML_CLASSIFY_MESSAGE] = "";
    bml_classify_table *t = NULL;
    FILE *f = fopen(name, "wb");
    if (!f) {
        SKIP("no folder build/ to write to");
        return;
    }
    fwrite(head, 1, sizeof head, f);
    fwrite(text, 1, 8, f);
    fwrite(tail, 1, sizeof tail, f);
    fclose(f);
    int status = bml_classify_table_read(&t, name, why);
#ifdef BML_CLASSIFY_USE_ZLIB
    CHECK(status == 0 && t->n_rows == 1 && !strcmp(t->column[1].text[0], "2"), "a compressed table (%s)", why);
    bml_classify_table_free(t);
    f = fopen(name, "wb");
    if (f) {
        fwrite(head, 1, sizeof head, f);
        fwrite(text, 1, 4, f);
        fclose(f);
    }
    status = bml_classify_table_read(&t, name, why);
    CHECK(status == BML_CLASSIFY_NO_FILE && !t && strstr(why, name), "cut short: %s", why);
#else
    CHECK(status == BML_CLASSIFY_NO_ZLIB && !t && strstr(why, "gunzip"), "a compressed table, without zlib: %s", why);
#endif
    remove(name);
}

/* FITS files that are none. */
static void test_fits(void) {
#ifdef BML_CLASSIFY_USE_CFITSIO
    static const char *const name = "build/test_classify.fits";
    char why[BML_CLASSIFY_MESSAGE] = "", card[2880];
    const char *path = check_data("fermi/4fgl_dr2.fits");
    bml_classify_table *t = NULL;
    FILE *f = fopen(name, "wb"), *g;
    int status;
    if (!f) {
        SKIP("no folder build/ to write to");
        return;
    }
    memset(card, ' ', sizeof card);
    memcpy(card, "SIMPLE  =                    T", 30);
    memcpy(card + 80, "BITPIX  =                    8", 30);
    memcpy(card + 160, "NAXIS   =                    0", 30);
    memcpy(card + 240, "END", 3);
    fwrite(card, 1, sizeof card, f);
    fclose(f);
    status = bml_classify_table_read(&t, name, why);
    CHECK(status == BML_CLASSIFY_BAD_TABLE && !t && strstr(why, "no table"), "a FITS file without a table: %s", why);
    g = path ? fopen(path, "rb") : NULL;
    f = fopen(name, "wb");
    if (g && f) {
        static char half[1000000];
        size_t n = fread(half, 1, sizeof half, g);
        fwrite(half, 1, n, f);
        fclose(f);
        f = NULL;
        status = bml_classify_table_read(&t, name, why);
        CHECK(status == BML_CLASSIFY_BAD_TABLE && !t, "a truncated FITS file: %s", why);
    } else
        SKIP("a truncated FITS file: no real data here");
    if (g) fclose(g);
    if (f) fclose(f);
    remove(name);
#else
    SKIP("FITS files: compiled without cfitsio");
#endif
}

int main(int argc, char **argv) {
    seed_of = check_seed(argc, argv);
    quick = getenv("BML_CHECK_QUICK") != NULL;
    test_philox();
    test_table();
    test_separators();
    test_table_refusals();
    test_catalog();
    test_catalog_refusals();
    test_catalog_classes();
    test_catalog_halves();
    test_catalog_quantities();
    test_join();
    test_features();
    test_data_from_table();
    test_splits();
    test_metrics();
    test_metrics_more();
    test_threshold();
    test_scores_refusals();
    test_calibration_error();
    test_auc_pairs();
    test_delong();
    test_delong_scatter();
    test_isotonic();
    test_temperature();
    test_logistic();
    test_kernel();
    test_boost_step();
    test_trees();
    test_three_classes();
    test_smote();
    test_leakage();
    test_mix();
    test_calibrated();
    test_importance();
    test_domain();
    test_refusals();
    test_networks();
    test_real();
    test_compressed();
    test_fits();
    return check_done();
}
