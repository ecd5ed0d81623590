/* test_sed.c: the SED readers of examples/common/sed.h: both formats, every unit, every complaint with its line. */
#include "common.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#include "sed.h"
#include "sed_plot.h"
#include "ebl.h"
#include "surroundings.h"
#include "check.h"
#include "sed_fixtures.h"

/* Reads a text; the name in messages is "t". */
static int read_from(sed_table *t, const char *s, char *err) {
    err[0] = 0;
    return sed_read_memory(t, s, strlen(s), "t", NULL, err);
}

#define HEAD "nu_Hz,nuFnu_erg_cm2_s,err_dex,upper_limit,instrument\n"
#define GOOD "1e15,1e-12,0.1,0,A\n"
#define ECSV                                                                                                        \
    "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: nu, unit: Hz}\n# - {name: flux, unit: erg / (cm2 s)}\n# - {name: " \
    "flux_error, unit: erg / (cm2 s)}\n"

/* ---- our CSV ---- */

static void test_csv(void) {
    static const char text[] = "# source: A, b\n# redshift: 0.5\n# nothing: else\n\n"
                               "nu_Hz,nuFnu_erg_cm2_s,err_lo_dex,err_hi_dex,upper_limit,instrument\r\n"
                               "1e18,2e-12,0.1,0.2,0,\"X, \"\"Y\"\"\"\r\n"
                               "1e15, 1e-12 ,0.3,0.4,False,UVOT\n"
                               "1e22,5e-12,,,1,LAT";
    sed_table t;
    char err[ERROR_SIZE];
    CHECK(read_from(&t, text, err) == 0, "our CSV is read (%s)", err);
    CHECK(t.n == 3 && !strcmp(t.source, "A, b"), "three points, source");
    CHECK_NEAR(t.redshift, 0.5, 0, "redshift");
    CHECK(t.n == 3 && t.point[0].nu == 1e15 && t.point[1].nu == 1e18 && t.point[2].nu == 1e22, "sorted by frequency");
    CHECK(t.n == 3 && !strcmp(t.instrument[0], "UVOT") && !strcmp(t.instrument[1], "X, \"Y\""),
          "instruments follow their points; quotes are undone");
    CHECK_NEAR(t.point[1].sigma_lo, 0.1, 0, "lower error in dex is kept");
    CHECK_NEAR(t.point[1].sigma_hi, 0.2, 0, "upper error in dex is kept");
    CHECK(t.point[2].upper_limit == 1 && t.point[0].upper_limit == 0, "upper limit flag");
    /* Phi(1.6448536269514722) = 0.95, tables of the normal distribution */
    CHECK_NEAR(t.point[2].nuFnu / t.point[2].sigma_hi, 1.6448536269514722, 1e-9, "95 %% limit in sigma");
    sed_free(&t);
    CHECK(read_from(&t, "nu_Hz,nuFnu_erg_cm2_s,err_dex\n1e15,1e-12,0.1\n", err) == 0 && isnan(t.redshift) &&
              !t.source[0] && !t.instrument[0][0],
          "without comments: redshift NaN, no source, no instrument");
    sed_free(&t);
    CHECK(!read_from(&t, "# redshift: 0.1\n# z: 0.5\n" HEAD GOOD, err) && t.n_notes == 1 &&
              strstr(t.note[0], "two redshifts, 0.1 and 0.5"),
          "two redshifts are told");
    sed_free(&t);
    CHECK(!read_from(&t, "# redshift: 0.5\n# z: 0.5001\n" HEAD GOOD, err) && !t.n_notes, "two spellings of one");
    sed_free(&t);
    CHECK(read_from(&t, "\xef\xbb\xbfnu_Hz,nuFnu_erg_cm2_s,err_dex\n1e15,1e-12,0.1\n1e15,1e-12,0.1\n", err) == 0 &&
              t.n == 2,
          "byte order mark and duplicate points are fine (%s)", err);
    sed_free(&t);
}

/* Linear errors: log10((F+e)/F) up, log10(F/(F-e)) down, e/(F ln 10) down where e >= F. */
static void test_linear_errors(void) {
    static const char text[] =
        "nu_Hz,nuFnu_erg_cm2_s,err_dex,err_lo_erg_cm2_s,err_hi_erg_cm2_s,upper_limit,confidence\n"
        "1e15,4e-12,,1e-12,2e-12,0,\n"
        "2e15,1e-12,,3e-12,9e-12,0,\n"
        "3e15,1e-12,0.25,,,0,\n"
        "4e15,1e-12,,,4e-13,1,\n"
        "5e15,1e-12,,,0,1,0.9986501019683699\n"
        "6e15,1e-12,0.5,,3e-12,0,\n";
    sed_table t;
    char err[ERROR_SIZE];
    CHECK(read_from(&t, text, err) == 0 && t.n == 6, "both kinds of errors in one table (%s)", err);
    if (t.n != 6) return;
    CHECK_NEAR(t.point[0].sigma_lo, log10(4.0 / 3.0), 1e-14, "lower linear error");
    CHECK_NEAR(t.point[0].sigma_hi, log10(1.5), 1e-14, "upper linear error");
    CHECK_NEAR(t.point[1].sigma_lo, 3 / log(10.0), 1e-14, "lower linear error as large as the flux");
    CHECK_NEAR(t.point[1].sigma_hi, 1, 1e-14, "upper linear error of nine times the flux");
    CHECK_NEAR(t.point[2].sigma_lo, 0.25, 0, "error in dex");
    CHECK_NEAR(t.point[3].sigma_hi, 4e-13, 1e-27, "sigma of a limit from the table");
    /* Phi(3) = 0.9986501019683699 */
    CHECK_NEAR(t.point[4].nuFnu / t.point[4].sigma_hi, 3, 1e-9, "a limit's own confidence level");
    CHECK_NEAR(t.point[5].sigma_lo, 0.5, 0, "a side without its own error takes the common one");
    CHECK_NEAR(t.point[5].sigma_hi, log10(4.0), 1e-14, "a side's own error goes first");
    sed_free(&t);
}

/* One point at the photon energy 1 keV (2.417989242e17 Hz, CODATA 2018: exact h and e) and nuFnu = 1e-11, written in
   many units; relative tolerance 1e-8: the numbers below are given to nine digits or more. */
static void test_units(void) {
    static const struct {
        const char *columns, *values;
    } rows[] = {
        {"nu_Hz,nuFnu_erg_cm2_s,err_dex", "2.417989242e17,1e-11,0.1"},
        {"nu_GHz,nuFnu_W_m2,err_dex", "2.417989242e8,1e-14,0.1"},
        {"energy_keV,nuFnu_erg_cm2_s,err_dex", "1,1e-11,0.1"},
        {"energy_eV,nuFnu_MeV_cm2_s,err_dex", "1000,6.241509074e-6,0.1"},
        {"energy_TeV,nuFnu_TeV_cm2_s,err_dex", "1e-9,6.241509074e-12,0.1"},
        {"energy_J,nuFnu_J_m2_s,err_dex", "1.602176634e-16,1e-14,0.1"},
        {"wavelength_nm,nuFnu_erg_cm2_s,err_dex", "1.2398419844,1e-11,0.1"},
        {"wavelength_Angstrom,nuFnu_erg_cm2_s,err_dex", "12.398419844,1e-11,0.1"},
        {"log10_nu_Hz,log10_nuFnu_erg_cm2_s,err_dex", "17.38345436430,-11,0.1"},
        {"energy_keV,Fnu_Jy,err_dex", "1,4.135667696e-6,0.1"},
        {"energy_keV,Fnu_mJy,err_dex", "1,4.135667696e-3,0.1"},
        {"energy_keV,dnde_1_cm2_s_keV,err_dex", "1,6.241509074e-3,0.1"},
        {"energy_keV,dnde_ph_cm2_s_TeV,err_dex", "1,6.241509074e6,0.1"},
        {"wavelength_Angstrom,dnde_erg_cm2_s_Angstrom,err_dex", "12.398419844,8.0655439e-13,0.1"},
    };
    static const char *const ecsv_units[] = {
        "erg / (cm2 s)", "erg/(cm2 s)",        "erg cm-2 s-1",           "erg / cm2 / s",
        "erg/cm2 s",     "erg.cm^-2.s^-1",     "erg * cm**-2 * s**(-1)", "1e3 erg / (m2 s) / 0.1",
        "W/m2 0.001",    "10 erg / (cm2 10 s)"};
    static const double ecsv_factor[] = {1, 1, 1, 1, 1, 1, 1, 1, 1e6, 1};
    char text[1024];
    char err[ERROR_SIZE];
    sed_table t;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(text, sizeof text, "%s\n%s\n", rows[i].columns, rows[i].values);
        int ok = read_from(&t, text, err) == 0 && t.n == 1 && fabs(t.point[0].nu / 2.417989242e17 - 1) < 1e-8 &&
                 fabs(t.point[0].nuFnu / 1e-11 - 1) < 1e-8;
        CHECK(ok, "%s: %.10g Hz, %.10g (%s)", rows[i].columns, t.n ? t.point[0].nu : 0, t.n ? t.point[0].nuFnu : 0,
              err);
        sed_free(&t);
    }
    for (size_t i = 0; i < sizeof ecsv_units / sizeof *ecsv_units; i++) {
        double want = 1e-11 * ecsv_factor[i];
        snprintf(text, sizeof text,
                 "# %%ECSV 1.0\n# ---\n# datatype:\n# - {name: nu, unit: Hz, datatype: float64}\n"
                 "# - {name: flux, unit: %s, datatype: float64}\n# - {name: flux_error, unit: %s}\nnu flux "
                 "flux_error\n1e17 1e-11 1e-12\n",
                 ecsv_units[i], ecsv_units[i]);
        CHECK(read_from(&t, text, err) == 0 && t.n == 1 && fabs(t.point[0].nuFnu / want - 1) < 1e-12, "unit '%s' (%s)",
              ecsv_units[i], err);
        sed_free(&t);
    }
}

/* ---- ECSV ---- */

/* As naima writes it: differential flux in TeV, ul as a number, confidence level two levels down in the meta data, a
   comment with every kind of quote and a wrapped line. */
static void test_naima(void) {
    static const char text[] = "# %ECSV 0.9\n# ---\n# datatype:\n# - {name: energy, unit: TeV, datatype: float64}\n"
                               "# - {name: energy_edge_lo, unit: TeV, datatype: float64}\n"
                               "# - {name: flux, unit: 1 / (cm2 s TeV), datatype: float64}\n"
                               "# - {name: flux_error, unit: 1 / (cm2 s TeV), datatype: float64}\n"
                               "# - {name: ul, unit: '', datatype: int64}\n# meta: !!omap\n"
                               "# - comments: [A spectrum of somewhere, 'It''s from\n#       2003, 2004. redshift: 9', "
                               "Confidence level is 2 sigma]\n"
                               "# - keywords: !!omap\n#   - cl: {value: 0.9772498680518208}\n"
                               "energy energy_edge_lo flux flux_error ul\n"
                               "2 1.8 1e-12 5e-13 0\n169.79 113.02 1.35e-16 0.0 1\n";
    sed_table t;
    char err[ERROR_SIZE];
    CHECK(read_from(&t, text, err) == 0 && t.n == 2, "naima's ECSV (%s)", err);
    if (t.n != 2) return;
    /* E^2 dN/dE = 4 TeV^2 1e-12/(cm2 s TeV) = 4e-12 TeV = 6.408706536e-12 erg, each per cm2 s */
    CHECK_NEAR(t.point[0].nuFnu / 6.408706536e-12, 1, 1e-12, "differential flux times energy squared");
    CHECK_NEAR(t.point[0].sigma_hi, log10(1.5), 1e-13, "differential error");
    CHECK_NEAR(t.point[1].nuFnu / t.point[1].sigma_hi, 2, 1e-9, "confidence level from the meta data: Phi(2)");
    CHECK(isnan(t.redshift), "text in quotes is no redshift");
    sed_free(&t);
}

/* gammapy flux points: is_ul as a boolean, the limit in a column of its own, NaN where there is no number. */
static void test_gammapy(void) {
    static const char text[] =
        "# %ECSV 1.0\n# ---\n# delimiter: ','\n# datatype:\n# - {name: e_ref, unit: GeV, datatype: float64}\n"
        "# - name: e2dnde\n#   unit: erg / (cm2 s)\n#   datatype: float64\n"
        "# - {name: e2dnde_errn, unit: erg / (cm2 s), datatype: float64}\n"
        "# - {name: e2dnde_errp, unit: erg / (cm2 s), datatype: float64}\n"
        "# - {name: e2dnde_ul, unit: erg / (cm2 s), datatype: float64}\n"
        "# - {name: is_ul, datatype: bool}\n# - {name: sqrt_ts, datatype: float64}\n"
        "# meta: {SED_TYPE: e2dnde, UL_CONF: 0.95, object: \"A \\\"b\\\"\", redshift: 0.1}\n"
        "# schema: astropy-2.0\n"
        "e_ref,e2dnde,e2dnde_errn,e2dnde_errp,e2dnde_ul,is_ul,sqrt_ts\n"
        "1,3e-12,1e-12,2e-12,7e-12,False,5\n10,1e-13,nan,nan,4e-12,True,nan\n";
    sed_table t;
    char err[ERROR_SIZE];
    CHECK(read_from(&t, text, err) == 0 && t.n == 2, "gammapy's ECSV, comma separated (%s)", err);
    if (t.n != 2) return;
    CHECK_NEAR(t.point[0].sigma_lo, log10(1.5), 1e-14, "gammapy's lower error");
    CHECK_NEAR(t.point[1].nuFnu, 4e-12, 0, "gammapy's limit comes from its own column");
    CHECK_NEAR(t.point[1].nuFnu / t.point[1].sigma_hi, 1.6448536269514722, 1e-9, "gammapy's confidence level");
    CHECK(!strcmp(t.source, "A \"b\"") && t.redshift == 0.1, "source and redshift from a flow mapping: %s", t.source);
    sed_free(&t);
}

static void test_jetset(void) {
    static const char text[] =
        "# %%ECSV 0.9\n# ---\n# datatype:\n# - {name: x, unit: Hz, datatype: float64}\n"
        "# - {name: y, unit: erg/(cm2 s) , datatype: float64}\n# - {name: dy, unit: erg/(cm2 s) ,datatype: float64}\n"
        "# - {name: UL, datatype: bool}\n# - {name: data_set, datatype: string}\n# meta: !!omap\n# - {z: 0.0308 }\n"
        "# - {restframe: %s}\n# - {data_scale: %s}\n# - {obj_name: 'J1104+3812,Mrk421'}\n# schema: astropy-2.0\n"
        "x y dy UL data_set\n%s\t False  a\n\n";
    char filled[2048];
    char err[ERROR_SIZE];
    snprintf(filled, sizeof filled, text, "obs", "lin-lin", "1e15 1e-11 1e-12");
    sed_table t;
    CHECK(read_from(&t, filled, err) == 0 && t.n == 1 && t.point[0].nuFnu == 1e-11 && !strcmp(t.instrument[0], "a") &&
              t.redshift == 0.0308 && !strcmp(t.source, "J1104+3812,Mrk421"),
          "JetSeT's ECSV, linear (%s)", err);
    sed_free(&t);
    snprintf(filled, sizeof filled, text, "obs", "lin-lin",
             "1e14 1e-11 1e-12 False -1\n1e15 1e-11 1e-12 False 0.0\n1e16 1e-11 1e-12");
    CHECK(read_from(&t, filled, err) == 0 && t.n == 3 && !*t.instrument[0] && !*t.instrument[1] &&
              !strcmp(t.instrument[2], "a"),
          "data sets called 0.0 and -1 have no name (%s)", err);
    sed_free(&t);
    snprintf(filled, sizeof filled, text, "obs", "log-log", "15 -11 0.05");
    CHECK(read_from(&t, filled, err) == 0 && t.n == 1 && fabs(t.point[0].nuFnu / 1e-11 - 1) < 1e-12 &&
              t.point[0].sigma_hi == 0.05,
          "JetSeT's ECSV, logarithms (%s)", err);
    sed_free(&t);
    snprintf(filled, sizeof filled, text, "src", "lin-lin", "1e15 1e-11 1e-12");
    CHECK(read_from(&t, filled, err) == -1 && strstr(err, "t:11: restframe 'src'"),
          "a table in the source's frame is refused: %s", err);
}

/* ---- real files ---- */

static void test_real(void) {
    char err[ERROR_SIZE];
    const char *path = check_data("sed/mrk421_2011_agnpy.ecsv");
    int limits = 0;
    err[0] = 0;
    sed_table t;
    int bad = sed_read(&t, "examples/data/3hsp_j095507.csv", NULL, err);
    CHECK(!bad && t.n == 31 && t.redshift == 0.557 && !strcmp(t.source, "3HSP J095507.9+355101"),
          "3HSP J095507: 31 points (%s)", err);
    for (int i = 0; i < t.n; i++)
        limits += t.point[i].upper_limit;
    CHECK(limits == 5, "3HSP J095507: 5 upper limits");
    /* the published numbers: log10 nu = 15.169086, log10 nuFnu = -12.008, 0.02805 dex; and 3.89477516262e-07 +-
       2.43614600203e-07 MeV/(cm2 s) at 4.29986051885e23 Hz. Tolerances: the seven digits of the file. */
    if (t.n == 31) {
        CHECK_NEAR(log10(t.point[2].nu), 15.169086, 5e-7, "UVOT frequency");
        CHECK_NEAR(log10(t.point[2].nuFnu), -12.008, 5e-7, "UVOT flux");
        CHECK_NEAR(t.point[2].sigma_lo, 0.02805, 1e-12, "UVOT error");
        CHECK_NEAR(t.point[26].nuFnu / (3.89477516262e-07 * 1.602176634e-6), 1, 1e-6, "Fermi flux");
        CHECK_NEAR(t.point[26].sigma_hi, log10(1 + 2.43614600203 / 3.89477516262), 1e-6, "Fermi upper error");
        CHECK_NEAR(t.point[25].sigma_hi / (1.87488810464e-07 * 1.602176634e-6), 1, 1e-6, "Fermi sigma of a limit");
    }
    sed_free(&t);
    if (!path) {
        SKIP("real SED tables are not here");
        return;
    }
    bad = sed_read(&t, path, NULL, err);
    CHECK(!bad && t.n == 105 && t.redshift == 0.03 && !strcmp(t.source, "Mrk421"),
          "Mrk 421 as agnpy ships it (%d points)", t.n);
    /* its first line: 9.51013329578429e-06 eV, 1.3409e-14 +- 3.91e-16 */
    CHECK(!bad && fabs(t.point[0].nu / (9.51013329578429e-06 / 4.135667696923859e-15) - 1) < 1e-9 &&
              t.point[0].nuFnu == 1.3409e-14 && !strcmp(t.instrument[0], "RATAN"),
          "its first point");
    sed_free(&t);
    bad = sed_read(&t, check_data("sed/mrk421_jetset.ecsv"), NULL, err);
    CHECK(!bad && t.n == 110 && t.redshift == 0.0308, "Mrk 421 as JetSeT ships it (%d points)", t.n);
    sed_free(&t);
    CHECK(sed_read(&t, check_data("sed/lephad_324_blazars.csv.gz"), NULL, err) == -1 && strstr(err, "not a text table"),
          "a compressed file: %s", strrchr(err, '/') ? strrchr(err, '/') : err);
}

/* ---- tables as other programs write them ---- */

static int read_how(sed_table *t, const char *s, const sed_options *how, char *err) {
    err[0] = 0;
    return sed_read_memory(t, s, strlen(s), "t", how, err);
}

/* One table, what its points must be. */
typedef struct format_case {
    const char *what, *text;
    int n, limits, dropped;
    double nu, nuFnu, sigma_hi; /* of point 0, in order of frequency */
    const char *instrument;
    sed_options how;
} format_case;

#define GADF "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: e_ref, unit: TeV}\n# - {name: e2dnde, unit: erg / (cm2 s)}\n"
#define TEV 2.4179892420849180e26 /* [Hz] exact constants of the SI */

static void check_format(const format_case *c) {
    sed_table t;
    char err[ERROR_SIZE];
    int limits = 0;
    const int bad = read_how(&t, c->text, &c->how, err);
    for (int i = 0; i < t.n; i++)
        limits += t.point[i].upper_limit;
    CHECK(!bad && t.n == c->n && limits == c->limits && t.dropped == c->dropped,
          "%s: %d points, %d limits, %d dropped (%s)", c->what, t.n, limits, t.dropped, err);
    if (t.n) {
        CHECK_NEAR(t.point[0].nu / c->nu, 1, 1e-9, "frequency");
        CHECK_NEAR(t.point[0].nuFnu / c->nuFnu, 1, 1e-9, "flux");
        CHECK_NEAR(t.point[0].sigma_hi / c->sigma_hi, 1, 1e-9, "upper error");
        CHECK(!c->instrument || !strcmp(t.instrument[0], c->instrument), "instrument '%s'", t.instrument[0]);
    }
    sed_free(&t);
}

/* GADF: 1 erg/(cm2 s) below is a limit or a point; Phi^-1(0.95) = 1.6448536269514722, Phi^-1(0.99) =
   2.3263478740408408. */
static void test_gadf(void) {
    const double dex = log10(1.1);
    const format_case cases[] = {
        {"nan with a filled limit, and with neither",
         GADF
         "# - {name: e2dnde_err, unit: erg / (cm2 s)}\n# - {name: e2dnde_ul, unit: erg / (cm2 s), description: upper "
         "limit (99% CL)}\ne_ref e2dnde e2dnde_err e2dnde_ul\n1 nan nan 1e-11\n2 nan nan nan\n3 1e-12 1e-13 nan\n",
         2,
         1,
         1,
         TEV,
         1e-11,
         1e-11 / 2.3263478740408408,
         NULL,
         {.frame = 0}},
        {"a filled limit beside a detection",
         GADF
         "# - {name: e2dnde_err}\n# - {name: e2dnde_ul, unit: erg / (cm2 s)}\ne_ref e2dnde e2dnde_err e2dnde_ul\n1 "
         "1e-11 1e-12 3e-11\n",
         1,
         0,
         0,
         TEV,
         1e-11,
         dex,
         NULL,
         {.frame = 0}},
        {"is_ul chooses, whatever else is filled",
         GADF
         "# - {name: e2dnde_err}\n# - {name: e2dnde_ul}\n# - {name: is_ul, datatype: bool}\ne_ref e2dnde e2dnde_err "
         "e2dnde_ul is_ul\n1 1e-11 1e-12 3e-11 True\n",
         1,
         1,
         0,
         TEV,
         3e-11,
         3e-11 / 1.6448536269514722,
         NULL,
         {.frame = 0}},
        {"limits only",
         GADF "# - {name: e2dnde_ul}\ne_ref e2dnde e2dnde_ul\n1 nan 3e-11\n",
         1,
         1,
         0,
         TEV,
         3e-11,
         3e-11 / 1.6448536269514722,
         NULL,
         {.frame = 0}},
        {"confidence in sigmas, telescope from meta, a block of text with colons",
         GADF
         "# - {name: e2dnde_ul}\n# meta: !!omap\n# - UL_CONF: 2 sigma\n# - telescope: hess\n# - comments: |\n#     "
         "redshift: 9\n#\n#     cl: 0.1\ne_ref e2dnde e2dnde_ul\n1 nan 3e-11\n",
         1,
         1,
         0,
         TEV,
         3e-11,
         1.5e-11,
         "hess",
         {.frame = 0}},
        {"a negative flux with its error: 1.645 sigma",
         GADF "# - {name: e2dnde_err}\ne_ref e2dnde e2dnde_err\n1 -1e-12 1e-12\n2 -1e-12 nan\n",
         1,
         1,
         1,
         TEV,
         1.6448536269514722e-12,
         1e-12,
         NULL,
         {.frame = 0}},
        {"a value without an error is dropped, with a warning",
         GADF "# - {name: e2dnde_err}\ne_ref e2dnde e2dnde_err\n1 1e-11 1e-12\n2 1e-12 nan\n",
         1,
         0,
         1,
         TEV,
         1e-11,
         dex,
         NULL,
         {.frame = 0}},
        {"or has the floor",
         GADF "# - {name: e2dnde_err}\ne_ref e2dnde e2dnde_err\n1 1e-11 nan\n2 1e-12 0\n3 1e-12 1e-15\n",
         3,
         0,
         0,
         TEV,
         1e-11,
         0.05,
         NULL,
         {.error_floor = 0.05}},
        {"e_min and e_max alone",
         "# %ECSV 1.0\n# ---\n# delimiter: \"\\t\"\n# datatype:\n# - {name: e_min, unit: TeV}\n# - {name: e_max, unit: "
         "TeV}\n"
         "# - {name: e2dnde, unit: ergs cm-2 s-1}\n# - {name: e2dnde_errn}\n# - {name: e2dnde_errp}\n"
         "e_min\te_max\te2dnde\te2dnde_errn\te2dnde_errp\n0.5\t2\t1e-11\t2e-12\t1e-12\n",
         1,
         0,
         0,
         TEV,
         1e-11,
         dex,
         NULL,
         {.frame = 0}},
        /* F = 1e-11/(cm2 s) between 0.5 and 2 TeV, index 3: dN/dE at E0 = 1 TeV is 2 F/(4 - 1/4) per TeV */
        {"photons in a bin with an index",
         "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: e_min, unit: TeV}\n# - {name: e_max, unit: TeV}\n# - {name: "
         "flux, "
         "unit: cm-2 s-1}\n# - {name: flux_err, unit: cm-2 s-1}\n# - {name: index}\ne_min e_max flux flux_err "
         "index\n0.5 2 1e-11 "
         "1e-12 -3\n",
         1,
         0,
         0,
         TEV,
         2e-11 / 3.75 * 1.602176634,
         dex,
         NULL,
         {.frame = 0}},
        /* energy 1e-11 in the same bin, index 2: E^2 dN/dE = 1e-11/ln 4 */
        {"energy in a bin with an index",
         "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: e_min, unit: TeV}\n# - {name: e_max, unit: TeV}\n# - {name: "
         "eflux, "
         "unit: erg cm-2 s-1}\n# - {name: eflux_err}\n# - {name: index}\ne_min e_max eflux eflux_err index\n0.5 2 "
         "1e-11 "
         "1e-12 2\n",
         1,
         0,
         0,
         TEV,
         1e-11 / log(4),
         dex,
         NULL,
         {.frame = 0}},
        {"norm in units of a reference",
         "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: e_ref, unit: TeV}\n# - {name: ref_dnde, unit: cm-2 s-1 TeV-1}\n# "
         "- "
         "{name: norm}\n# - {name: norm_err}\n# - {name: norm_ul}\ne_ref ref_dnde norm norm_err norm_ul\n1 1e-11 2 0.2 "
         "3\n2 "
         "1e-12 nan nan 4\n",
         2,
         1,
         0,
         TEV,
         2e-11 * 1.602176634,
         dex,
         NULL,
         {.frame = 0}},
        {"e2dnde goes before dnde, each with its own errors",
         GADF
         "# - {name: dnde, unit: TeV-1 cm-2 s-1}\n# - {name: dnde_err, unit: TeV-1 cm-2 s-1}\n# - {name: e2dnde_err}\n"
         "e_ref e2dnde dnde dnde_err e2dnde_err\n1 1e-11 7 3 1e-12\n",
         1,
         0,
         0,
         TEV,
         1e-11,
         dex,
         NULL,
         {.frame = 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_format(&cases[i]);
}

static void test_other_formats(void) {
    const double dex = log10(1.1);
    const format_case cases[] = {
        {"IPAC, as naima writes it",
         "\\ A comment\n\\cl = 0.99\n|energy|    flux|flux_error_hi|flux_error_lo|  ul|   name|\n|double|  "
         "double|double|double|int"
         "|char|\n|   TeV|erg / (cm2 s)|erg / (cm2 s)|erg / (cm2 s)| | |\n|  null| null| null| null| null| null|\n     "
         "1    1e-11 "
         "1e-12 2e-12 0 A\n     2    1e-12 0 0 1 B\n",
         2,
         1,
         0,
         TEV,
         1e-11,
         dex,
         NULL,
         {.frame = 0}},
        {"IPAC within its bars, with empty cells and blanks in words",
         "|energy|flux         |flux_error   |ul|telescope|\n|double|double       |double       |i |char     |\n|TeV   "
         "|erg/cm2/s    "
         "|erg/cm2/s    |  |         |\n|null  |null         |null         |  |null     |\n 1      1e-11         1e-12 "
         "           "
         "H E S S  \n",
         1,
         0,
         0,
         TEV,
         1e-11,
         dex,
         "H E S S",
         {.frame = 0}},
        {"SExtractor's header",
         "# Comment: of any kind\n#   1 energy [TeV]\n#   2 flux The flux itself [cm-2 s-1 TeV-1]\n#   3 flux_error "
         "[cm-2 s-1 "
         "TeV-1]\n#   4 ul\n1 1e-11 1e-12 0\n2 1e-12 0 1\n",
         2,
         1,
         0,
         TEV,
         1.602176634e-11,
         dex,
         NULL,
         {.frame = 0}},
        {"agnpy's text: names with / in a comment, the instrument in a column of its own",
         "# nu / Hz, nuFnu / (erg cm-2 s-1), nuFnu_err_low / (erg cm-2 s-1), nuFnu_err_high / (erg cm-2 s-1)\n"
         "1e15 1e-11 2e-12 1e-12 Swift/UVOT\n",
         1,
         0,
         0,
         1e15,
         1e-11,
         dex,
         "Swift/UVOT",
         {.frame = 0}},
        {"names with brackets in a comment",
         "# POINTS FOR MJD=57164-57166\n# E[eV], flux [TeV cm^-2 s^-1], dflux_low [TeV cm^-2 s^-1], dflux_high [TeV "
         "cm^-2 "
         "s^-1], instrument\n1e12 1e-11 1e-12 1e-12 NICS1\n",
         1,
         0,
         0,
         TEV,
         1.602176634e-11,
         dex,
         "NICS1",
         {.frame = 0}},
        {"a flag of limits",
         "#Freq [Hz], nuFnu [MeV/cm^2/s], dnuFnu [MeV/cm^2/s], ul, TSTART\n1e15 1e-5 1e-6 0 5\n2e15 1e-5 3e-6 1 5\n",
         2,
         1,
         0,
         1e15,
         1.602176634e-11,
         dex,
         NULL,
         {.frame = 0}},
        {"Bjet_MCMC: zero errors mark limits",
         "!E(eV)\t\tF(ergcm-2s-1)\tdelta_E(-)\tdelta_E(+)\tdelta_F(-)\tdelta_F(+)\tinstrument\n1e12 1E-011 2e11 3e11 "
         "0.00E+000 "
         "0.00E+000 LAT\n2e12 1e-12 2e11 3e11 1e-13 1e-13 LAT\n",
         2,
         1,
         0,
         TEV,
         1e-11,
         1e-11 / 1.6448536269514722,
         "LAT",
         {.frame = 0}},
        {"SSDC's export, logarithms",
         "# RA = 1\n# Redshift = 0.0\n# uvot_x (id = 3)\n# Log   frequency \\gn (Hz)    Bin   Nufnu (erg cm^-2 s^-1)  "
         "Nufnu "
         "(erg cm^-2 s^-1)_error    TStart    TStop\n15.0 0.1 -11.0 0.02 58859.4 58859.5\n# xrt (id = 2)\n# Log   "
         "frequency\n"
         "17.0 0.1 -12.0 0.02 58859.4 58859.5\n18.0 0.1 -12.0 0.02 58859.4 58859.5 UPPER LIMIT\n",
         3,
         1,
         0,
         1e15,
         1e-11,
         0.02,
         "uvot_x",
         {.frame = 0}},
        {"SSDC's upload",
         "! a comment\n148.78 | 35.8 | 1e15 | 0 | 1e-11 | 1e-12 | 58000 | 58001 | "
         "|\n148.78|35.8|1e16|0|1e-11|0|58000|58001|UL|\n",
         2,
         1,
         0,
         1e15,
         1e-11,
         dex,
         NULL,
         {.frame = 0}},
        {"VOU-Blazars and Firmamento",
         "Frequency (Hz), nufnu (erg/cm2/s), nufnu unc. (erg/cm2/s), start (MJD), end (MJD), flag, catalog, reference\n"
         " 1.0E+15, 1.0E-11, 1.0E-12, 55000., 55000., Det, NVSS          , Condon et al. 1998\n"
         " 1.0E+17, 1.0E-12, 0.0, 55000., 55000., UL , RASS , Voges, 1999\n"
         " 1.0E+26, 1.0E-12, 1e-13, 55000., 55000., Det , DEBL , X\n",
         2,
         1,
         0,
         1e15,
         1e-11,
         dex,
         "NVSS",
         {.frame = 0}},
        {"JetSeT's older header",
         "# md z 0.0308\n# md restframe obs\n# md data_scale log-log\n# md col_types x,y,dy\n15 -11 0.02\n16 -12 "
         "0.02\n",
         2,
         0,
         0,
         1e15,
         1e-11,
         0.02,
         NULL,
         {.frame = 0}},
        {"tabs, names in the first line",
         "energy [keV]\tflux [erg cm$^{-2}$ s$^{-1}$]\tflux_err [erg/cm\xc2\xb2/s]\tinstrument\n1e9\t1e-11\t1e-12\tA "
         "B\n",
         1,
         0,
         0,
         TEV,
         1e-11,
         dex,
         "A B",
         {.frame = 0}},
        {"--columns over any header",
         "some words\nin lines\n1;1e-11;x;1e-12\n2;1e-12;x;1e-13\n",
         2,
         0,
         0,
         TEV,
         1e-11,
         dex,
         NULL,
         {.columns = "energy_TeV,nuFnu_erg_cm2_s,_x,err_erg_cm2_s"}},
        {"--columns, blanks and no header",
         "1 1e-11 1e-12 A\n",
         1,
         0,
         0,
         TEV,
         1e-11,
         dex,
         "A",
         {.columns = "energy_TeV,nuFnu_erg_cm2_s,err"}},
        {"one source of many",
         "source,energy_eV,nuFnu_erg_cm2_s,err,is_ul\nA,1e12,1e-11,1e-12,0\nB,1e12,1e-12,1e-13,0\n",
         1,
         0,
         0,
         TEV,
         1e-11,
         dex,
         NULL,
         {.source = "A"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_format(&cases[i]);
}

/* The source's frame: nu L_nu over 4 pi D_L^2 at nu/(1 + z). (1 + z) c/H0 times the integral of 1/sqrt(0.3 (1 + z)^3 +
   0.7), by the trapezoidal rule with 200,000 steps: 3480.289 Mpc, four digits of it kept here. */
static void test_frames(void) {
    static const char text[] =
        "# %ECSV 0.9\n# ---\n# datatype:\n# - {name: x, unit: Hz}\n# - {name: y, unit: erg/s }\n# - {name: dy, unit: "
        "erg/s }\n"
        "# meta: !!omap\n# - {z: 0.593 }\n# - {restframe: src}\n# - {data_scale: log-log}\nx y dy\n15 46 0.02\n";
    const sed_options how = {.frame = SED_FRAME_SOURCE};
    const double mpc = 3.0856775814913673e24;
    char err[ERROR_SIZE];
    sed_table t;
    CHECK(read_from(&t, text, err) && strstr(err, "--frame source"), "a table in the source's frame is refused: %s",
          err);
    CHECK(!read_how(&t, text, &how, err) && t.n == 1, "and read when told so (%s)", err);
    if (t.n) {
        CHECK_NEAR(t.point[0].nu / (1e15 / 1.593), 1, 1e-12, "frequency at the observer");
        CHECK_NEAR(t.point[0].nuFnu / (1e46 / (4 * 3.14159265358979 * pow(3480.289 * mpc, 2))), 1, 1e-6,
                   "flux at the observer");
        CHECK_NEAR(t.point[0].sigma_hi, 0.02, 1e-15, "the error in dex stays");
    }
    sed_free(&t);
    static const char luminosity[] = "nu_Hz,nuLnu_erg_s,err_dex\n1e15,1e46,0.02\n";
    CHECK(read_from(&t, luminosity, err) && strstr(err, "is a luminosity"), "a luminosity without a frame: %s", err);
    CHECK(read_how(&t, luminosity, &how, err) && strstr(err, "needs a redshift"), "and without a redshift: %s", err);
}

/* What looks wrong is refused or named. */
static void test_suspicions(void) {
    static const struct {
        const char *lines, *word;
        int refused;
    } cases[] = {
        {"14.5,1e-12,1e-13\n17.2,1e-12,1e-13\n", "a logarithm", 1},
        {"25,1e-12,1e-13\n", "a logarithm", 1},
        {"1e15,1e2,1e1\n", "another unit", 1},
        {"1e15,1e-30,1e-31\n", "another unit", 1},
        {"1e15,1e-12,1e-13\n2e15,1e-12,1e-19\n3e15,1e-12,1e-13\n", "impossibly small", 0},
        {"1e15,1e-12,4e-15\n2e15,1e-12,4e-21\n3e15,1e-12,4e-15\n", "impossibly small", 0},
        {"1e15,1e-12,1e-13\n2e15,1e-12,1e-7\n3e15,1e-12,1e-13\n", "impossibly large", 0},
        {"1e15,1e-12,4e-15\n2e15,1e-12,4e-9\n3e15,1e-12,4e-15\n", "impossibly large", 0},
        {"1e15,1e-12,1e-13\n1.2e15,1e-9,1e-10\n1.4e15,1e-12,1e-13\n1.6e15,1e-12,1e-13\n", "1.0e+03 above", 0},
        {"1e15,1e-12,1e-13\n1.2e15,1e-15,1e-16\n1.4e15,1e-12,1e-13\n1.6e15,1e-12,1e-13\n", "1.0e+03 below", 0},
        {"1e15,1e-12,1e-13\n2e15,5e-13,6e-13\n4e15,3e-12,1e-14\n", NULL, 0},
    };
    char text[512];
    char err[ERROR_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sed_table t;
        snprintf(text, sizeof text, "nu_Hz,nuFnu_erg_cm2_s,err_erg_cm2_s\n%s", cases[i].lines);
        const int refused = read_from(&t, text, err) != 0;
        const char *said = refused ? err : t.n_notes ? t.note[t.n_notes - 1] : "";
        CHECK(refused == cases[i].refused, "%s: %s", refused ? "refused" : "read", said);
        CHECK(cases[i].word ? strstr(said, cases[i].word) != NULL : !*said, "it says why");
        const int odd = t.odd_errors + t.odd_fluxes;
        CHECK(refused || odd == (cases[i].word != NULL), "and counts %d", odd);
        sed_free(&t);
        const sed_options trusting = {.unchecked = 1};
        CHECK(!read_how(&t, text, &trusting, err) && t.n_notes == 0, "nothing is said when not asked (%s)", err);
        sed_free(&t);
    }
}

/* A block of points in another unit, without any beside it, is named: 1,000 times too bright or too faint, by its
   instrument's name or by the gap. A spectrum of a blazar is not. The lowest and the highest block have nothing on one
   side: there only what outshines all others is told, or what it makes of its neighbour. */
static void test_blocks(void) {
    static const double nu[4] = {5e9, 5e14, 5e17, 5e23};
    static const struct {
        double flux[4];
        const char *told; /* a sign each: nothing is wrong; a block is too bright; a block is too faint */
    } source[2] = {{{1e-14, 3e-12, 2e-13, 1e-11}, "- -+++ +-+-"}, {{5e-15, 5e-12, 2e-11, 3e-12}, "- -++- -+++"}};
    static const char *const name[4] = {"VLA", "ROTSE", "XRT", "LAT"};
    for (int c = 0; c < 2 * 11 * 2; c++) {
        const char sign = source[c % 2].told[c / 4];
        const int bright = c / 4 - 2;
        const int faint = c / 4 - 7;
        char text[1024] = "nu_Hz,nuFnu_erg_cm2_s,err_dex,instrument\n";
        char err[ERROR_SIZE];
        if (sign == ' ') continue;
        for (int i = 0; i < 12; i++) {
            const int b = i / 3;
            const double off = b == bright ? 1000 : b == faint ? 1e-3 : 1;
            const size_t at = strlen(text);
            snprintf(text + at, sizeof text - at, "%g,%g,0.1,%s\n", nu[b] * (1 + 0.3 * (i % 3)),
                     source[c % 2].flux[b] * off, c / 2 % 2 ? name[b] : "");
        }
        sed_table t;
        const int status = read_from(&t, text, err);
        CHECK(!status && t.odd_fluxes == (sign == '+' ? 3 : 0), "source %d, block %d bright or %d faint: %d odd, %s",
              c % 2, bright, faint, t.odd_fluxes, t.n_notes ? t.note[0] : err);
        sed_free(&t);
    }
}

static void test_choices(void) {
    static const char text[] =
        HEAD "1e9,1e-15,0.1,0,VLBI\n1e15,1e-12,0.1,0,A\n1e17,1e-12,0.1,0,B\n1e26,1e-12,0.1,0,C\n";
    static const char *const skip[] = {"b"};
    static const char *const nowhere[] = {"D"};
    char err[ERROR_SIZE];
    sed_table t;
    CHECK(!read_how(&t, text, &(sed_options){.nu_min = 1e11, .nu_max = 1e20}, err) && t.n == 2 && t.left_out == 2,
          "nu_min and nu_max leave points out");
    sed_free(&t);
    CHECK(!read_how(&t, text, &(sed_options){.skip = skip, .n_skip = 1}, err) && t.n == 3 && t.point[2].nu == 1e26,
          "an instrument is left out, whatever its capitals");
    sed_free(&t);
    CHECK(read_how(&t, text, &(sed_options){.skip = nowhere, .n_skip = 1}, err) &&
              strstr(err, "no point of the instrument 'D'"),
          "an instrument that is not there: %s", err);
    CHECK(read_how(&t, text, &(sed_options){.nu_min = 1e30}, err) && strstr(err, "all its 4 points were left out"),
          "no point is left: %s", err);
    CHECK(read_how(&t, "source,nu_Hz,nuFnu_erg_cm2_s,err\nA,1e15,1e-12,1e-13\n", &(sed_options){.source = "B"}, err) &&
              strstr(err, "no line of the source 'B'"),
          "a source that is not there: %s", err);
}

/* Every spelling of 1e-11 erg/(cm2 s). */
static void test_spellings(void) {
    static const char *const same[] = {"ergs cm-2 s-1",
                                       "Erg/cm2/s",
                                       "ERG CM-2 S-1 X",
                                       "erg cm$^{-2}$ s$^{-1}$",
                                       "erg cm\xe2\x81\xbb\xc2\xb2 s\xe2\x81\xbb\xc2\xb9",
                                       "10^-3 W m-2",
                                       "1e-3W/m^2",
                                       "1e6 nW m-2",
                                       "mW/m2",
                                       "ergcm-2s-1",
                                       "erg/(cm^2 sec)",
                                       "1e23 Jy Hz",
                                       "1e26 mJy Hz",
                                       "10**-7 J cm**(-2) s**(-1)",
                                       "erg \xc2\xb7 cm^{-2} \xc2\xb7 s^{-1}",
                                       "ergs/cm^2/second",
                                       "\\rm erg\\, cm^{-2}\\, s^{-1}"};
    char text[1024];
    char err[ERROR_SIZE];
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        sed_table t;
        const int wrong = strchr(same[i], 'X') != NULL;
        snprintf(text, sizeof text, "# energy [kev], flux [%s], err\n1 1e-11 1e-12\n", same[i]);
        const int bad = read_from(&t, text, err);
        CHECK(wrong ? bad && strstr(err, "unknown unit") : !bad && fabs(t.point[0].nuFnu / 1e-11 - 1) < 1e-12,
              "unit '%s' (%s)", same[i], err);
        sed_free(&t);
    }
    sed_unit u;
    char wrong[64];
    CHECK(sed_unit_read(&u, "mev", wrong, sizeof wrong) && !strcmp(wrong, "mev"), "mev is neither MeV nor meV");
    CHECK(!sed_unit_read(&u, "Mev", wrong, sizeof wrong) && fabs(u.factor / 1.602176634e-6 - 1) < 1e-15, "Mev is MeV");
    CHECK(!sed_unit_read(&u, "\xc3\x85", wrong, sizeof wrong) && u.length == 1, "the Angstrom's own sign");
}

/* The sample tables: what astropy reads in them (sed_fixtures.py). Sums of up to 261 numbers of 9 digits: 1e-5 each. */
static void test_samples(void) {
    char err[ERROR_SIZE];
    int wrong = 0;
    const int n = (int)(sizeof sed_fixtures / sizeof *sed_fixtures);
    if (!check_data(sed_fixtures[0].name)) {
        SKIP("the sample tables are not here");
        return;
    }
    for (int i = 0; i < n; i++) {
        const struct sed_fixture *f = &sed_fixtures[i];
        double sum[3] = {0, 0, 0};
        int limits = 0;
        sed_table t;
        const int bad = sed_read(&t, check_data(f->name), NULL, err);
        for (int k = 0; k < t.n; k++) {
            const bml_ssc_point *p = &t.point[k];
            limits += p->upper_limit;
            sum[0] += log10(p->nu);
            sum[1] += log10(p->nuFnu);
            sum[2] += p->upper_limit ? log10(p->nuFnu / p->sigma_hi) : p->sigma_hi;
        }
        const double off =
            fmax(fmax(fabs(sum[0] - f->log10_nu), fabs(sum[1] - f->log10_flux)), fabs(sum[2] - f->log10_error));
        const int right = !bad && limits == f->limits && t.n == f->detections + f->limits && off < 1e-5;
        wrong += !right;
        if (!right)
            printf("note  %s: %d points, %d limits, off by %g (%s)\n", f->name, t.n, limits, off, bad ? err : "");
        sed_free(&t);
    }
    CHECK(wrong == 0, "%d of %d sample tables as astropy reads them", n - wrong, n);
}

/* The samples that astropy does not read as they are: points, limits, and the first line by hand. */
static void test_samples_by_hand(void) {
    static const struct {
        const char *name;
        int n, limits;
        double nu, nuFnu;
        double error_floor;
        int frame;
    } rows[] = {
        {"sed_formats/others/CrabNebula_HESS_ipac.dat", 14, 2, 0.25 * TEV, 0.25 * 0.25 * 5e-9 * 1.602176634, 0, 0},
        {"sed_formats/others/CrabNebula_HESS_ipac_energy_errors.dat", 12, 0, 0.519 * TEV,
         0.519 * 0.519 * 1.81e-10 * 1.602176634, 0, 0},
        {"sed_formats/others/CrabNebula_Fake_Xray.dat", 12, 0, 0.519e-9 * TEV, 8.21391505712e-13, 0, 0},
        {"sed_formats/others/RXJ1713_HESS_2007.dat", 28, 1, 0.33 * TEV, 0.33 * 0.33 * 2.29e-10 * 1.602176634, 0, 0},
        {"sed_formats/others/RXJ1713_HESS_2007_sextractor.dat", 28, 1, 0.33 * TEV, 0.33 * 0.33 * 2.29e-10 * 1.602176634,
         0, 0},
        {"sed_formats/others/Mrk421_2011.txt", 112, 0, 2.29954e9, 1.3409e-14, 0, 0},
        {"sed_formats/others/PKS1510-089_2015b.txt", 43, 0, 0.000153032e-12 * TEV, 6.99043e-13 * 1.602176634, 0, 0},
        {"sed/j1010_bjet.dat", 35, 2, 1.5548e-12 * TEV, 8.48e-12, 0, 0},
        {"sed/3hsp_j095507_fermi.txt", 7, 5, 4.29986051885e22, 7.01656093001e-07 * 1.602176634e-6, 0, 0},
        {"sed/3hsp_j095507_xray_uv.txt", 24, 0, 8.570003514e14, 5.956621435e-13, 0, 0}, /* 10^14.932981, 10^-12.225 */
    };
    char err[ERROR_SIZE];
    sed_table t;
    if (!check_data(rows[0].name)) {
        SKIP("the sample tables are not here");
        return;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int limits = 0;
        const int bad = sed_read(&t, check_data(rows[i].name), NULL, err);
        for (int k = 0; k < t.n; k++)
            limits += t.point[k].upper_limit;
        CHECK(!bad && t.n == rows[i].n && limits == rows[i].limits && fabs(t.point[0].nu / rows[i].nu - 1) < 1e-7 &&
                  fabs(t.point[0].nuFnu / rows[i].nuFnu - 1) < 1e-7,
              "%s: %d points, %d limits, first %.8g Hz %.8g (%s)", rows[i].name, t.n, limits, t.n ? t.point[0].nu : 0,
              t.n ? t.point[0].nuFnu : 0, bad ? err : "");
        sed_free(&t);
    }
    const char *path = check_data("sed_formats/others/SED_3C345.ecsv");
    CHECK(sed_read(&t, path, NULL, err) && strstr(err, "--frame source"), "3C 345: %s", strrchr(err, '/'));
    CHECK(sed_read(&t, path, &(sed_options){.frame = SED_FRAME_SOURCE}, err) && strstr(err, "--error-floor"),
          "3C 345: %s", strrchr(err, '/'));
    const int bad = sed_read(&t, path, &(sed_options){.frame = SED_FRAME_SOURCE, .error_floor = 0.02}, err);
    CHECK(!bad && t.redshift == 0.593, "3C 345 with both is read: %d points", t.n);
    sed_free(&t);
}

/* ---- complaints ---- */

static void test_errors(void) {
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"", "t:1: empty"},
        {"\n\n# only a comment\n", "t:3: empty"},
        {HEAD, "t:1: no data"},
        {HEAD "# a comment\n\n", "t:3: no data"},
        {GOOD, "t:1: no header line"},
        {"nu\n1\n", "t:1: no header line"},
        {"nu_Hz,nuFnu_erg_cm2_s,eror_dex\n", "t:1: unknown column 'eror_dex'"},
        {"nu_Hz,nuFnu_erg_cm2_s,err_furlong\n", "t:1: column 'err_furlong': unknown unit 'furlong'"},
        {"nu_Hz,nuFnu_Jy,err\n", "t:1: column 'nuFnu_Jy': 'Jy' is a unit of Fnu, not of nuFnu"},
        {"nu_Hz,nuFnu_erg_cm2,err\n", "'erg/cm2' is a unit of Fnu, not of nuFnu"},
        {"nu_Hz,log10_Fnu_erg_cm2_s\n", "'erg/cm2 s' is a unit of nuFnu, not of Fnu"},
        {"nu_Hz,dnde_TeV_cm2_s,err\n", "'TeV/cm2 s' is a unit of nuFnu, not of dnde"},
        {"nu_Hz,nuFnu_erg_s,err\n", "'erg/s' is a unit of nuLnu, not of nuFnu"},
        {"nu_Hz,nuFnu_ph_cm2_s,err\n", "'ph/cm2 s' is a unit of dn, not of nuFnu"},
        {"nu_Hz,dnde_1_cm2_s,err\n", "'1/cm2 s' is a unit of dn, not of dnde"},
        {"nu_Hz,nuFnu_W_Hz,err\n", "'W/Hz' is a unit of Lnu, not of nuFnu"},
        {"nu_Hz,nuLnu_W_Hz,err\n", "'W/Hz' is a unit of Lnu, not of nuLnu"},
        {"nu_Hz,nuFnu_erg_cm2_s_Angstrom,err\n", "'erg/cm2 s Angstrom' is a unit of dnde, not of nuFnu"},
        {"nu_Hz,nuFnu_,err_dex\n", "t:1: column 'nuFnu_' has no unit"},
        {"nu_Jy,nuFnu_erg_cm2_s,err_dex\n", "t:1: column 'nu_Jy': 'Jy' is no unit of frequency"},
        {"nu_Hz,nuFnu_erg_cm2_s,upper_limit,err_s\n", "t:1: column 'err_s': 's' is no unit of flux"},
        {"nu_Hz,nuFnu_cm2_s,err_dex\n", "t:1: column 'nuFnu_cm2_s': 'cm2/s' is no unit of flux"},
        {"nu_Hz,nuFnu_erg_cm2_s,err_mJy\n", "t:1: column 'err_mJy': 'mJy' is no unit of flux like"},
        {"nuFnu_erg_cm2_s,err_dex,instrument\n", "t:1: no column nu_..."},
        {"nu_Hz,err_dex,instrument\n", "t:1: no column nuFnu_"},
        {"nu_Hz,nuFnu_erg_cm2_s,instrument\n", "t:1: no column err_"},
        {"nu_Hz,nuFnu_erg_cm2_s\n1e17,1e-11\n", "t:1: no column err_"},
        {"nu_Hz,nuFnu_erg_cm2_s,err_lo_dex\n", "t:1: no column err_hi_"},
        {"nu_Hz,nu_GHz,nuFnu_erg_cm2_s,err_dex\n", "t:1: column 'nu_GHz' gives what 'nu_Hz' gives already"},
        {HEAD GOOD "1e15,1e-12,0.1,0\n", "t:3: 4 fields where the header names 5 columns"},
        {HEAD GOOD "1e15,1e-12,0.1,0,A,B\n", "t:3: 6 fields"},
        {HEAD "1e15,1e-12,0.1,0,\"A\n", "t:2: a quote is not closed"},
        {HEAD "1e15,1e-12x,0.1,0,A\n", "t:2: flux '1e-12x' is not a number"},
        {HEAD "1e15,0x1p-40,0.1,0,A\n", "t:2: flux '0x1p-40' is not a number"},
        {HEAD "1e15,,0.1,0,A\n", "t:2: flux '' is empty"},
        {HEAD "1e15,-1e-12,0.1,0,A\n", "t:2: flux '-1e-12' must be positive"},
        {HEAD "1e15,0,0.1,0,A\n", "t:2: flux '0' must be positive"},
        {HEAD "1e15,nan,0.1,0,A\n", "t:2: flux 'nan' is not finite"},
        {HEAD "1e15,inf,0.1,0,A\n", "t:2: flux 'inf' is not finite"},
        {HEAD "1e15,1e999,0.1,0,A\n", "t:2: flux '1e999' is not finite"},
        {HEAD "0,1e-12,0.1,0,A\n", "t:2: frequency or energy '0' must be positive"},
        {HEAD "-1,1e-12,0.1,0,A\n", "t:2: frequency or energy '-1' must be positive"},
        {HEAD "NaN,1e-12,0.1,0,A\n", "t:2: frequency or energy 'NaN' is not finite"},
        {HEAD "1e15,1e-12,0,0,A\n", "t:2: lower error '0' must be positive"},
        {HEAD "1e15,1e-12,-0.1,0,A\n", "t:2: lower error '-0.1' must be positive"},
        {HEAD "1e15,1e-12,nan,0,A\n", "t:2: lower error 'nan' is not finite"},
        {HEAD "1e15,1e-12,,0,A\n", "t:2: lower error is missing"},
        {HEAD "1e15,1e-12,0.1,2,A\n", "t:2: upper limit '2' is neither 0 nor 1"},
        {HEAD "1e15,1e-12,0.1,1,A\n", "t:2: the error of an upper limit"},
        {"nu_Hz,nuFnu_erg_cm2_s,err_lo_dex,err_hi_dex\n1e15,1e-12,0.1,0\n", "t:2: upper error '0' must be positive"},
        {"nu_Hz,nuFnu_erg_cm2_s,err_dex,err_erg_cm2_s\n1e15,1e-12,0.1,1e-13\n", "t:2: lower error given both"},
        {"nu_Hz,nuFnu_erg_cm2_s,err_erg_cm2_s,upper_limit\n1e15,1e-12,-1e-13,1\n",
         "t:2: sigma of the limit '-1e-13' must be zero or more"},
        {"nu_Hz,nuFnu_erg_cm2_s,err_dex,upper_limit,confidence\n1e15,1e-12,,1,0.5\n",
         "t:2: confidence level '0.5' is not between"},
        {"log10_nu_Hz,nuFnu_erg_cm2_s,err_dex\n400,1e-12,0.1\n", "t:2: frequency or energy '400' is out of range"},
        {"energy_TeV,dnde_1_cm2_s_TeV,err_dex\n1e200,1e-12,0.1\n", "t:2: flux '1e-12' is out of range"},
        {"# redshift: -1\n" HEAD GOOD, "t:1: redshift '-1' must be zero or more"},
        {"# redshift: high\n" HEAD GOOD, "t:1: redshift 'high' is not a number"},
        {"# confidence: 95\n" HEAD GOOD, "t:1: confidence level '95' is not between"},
        {HEAD "1e15,1e-12,0.1,0,A\x01\n", "t:2: not a text table (it holds the byte 0x01)"},
        {"# %ECSV 1.0\n# ---\n", "no line with the names"},
        {"# %ECSV 1.0\n# ---\nnu flux\n1 2\n", "t:3: no columns in the ECSV header"},
        {ECSV "nu flux\n", "t:7: the ECSV header describes 3 columns, this line names 2"},
        {ECSV "nu flux error\n", "t:7: column 3 is 'error' here and 'flux_error' in the ECSV header"},
        {ECSV "nu flux flux_error\n1e15 1e-12 0\n", "t:8: lower error '0' must be positive"},
        {ECSV "nu flux flux_error\n1e15 1e-12\n", "t:8: 2 fields"},
        {ECSV "# meta: {redshift: -1}\nnu flux flux_error\n", "t:7: redshift '-1'"},
        {ECSV "# delimiter: '::'\nnu flux flux_error\n", "t:7: delimiter '::'"},
        {"# %ECSV 1.0\n# ---\n# datatype:\n# - {name: nu, unit: Hz}\n# - {name: flux, unit: parsec}\n# - {name: dy, "
         "unit: Hz}\nnu flux dy\n",
         "t:7: column 'flux': unknown unit 'parsec'"},
        {"# %ECSV 1.0\n# ---\n# datatype:\n# - {name: nu, unit: Hz}\n# - {name: flux}\n# - {name: dy, unit: Hz}\nnu "
         "flux dy\n",
         "t:7: column 'flux' has no unit"},
        {"# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a}\n# - {name: b}\na b\n", "t:6: no column energy or frequency"},
    };
    char err[ERROR_SIZE], name[64] = "/tmp/bml_test_sed_absent";
    sed_table t;
    size_t i;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        int refused = read_from(&t, bad[i].text, err) == -1;
        CHECK(refused && strstr(err, bad[i].message) && !t.point && t.n == 0 && !strchr(err, '\n'), "refused: %s",
              refused ? err : bad[i].message);
        sed_free(&t);
    }
    CHECK(sed_read_memory(&t, HEAD "1e15,1e-12\0,0.1,0,A\n", sizeof HEAD + 20, "t", NULL, err) == -1 &&
              strstr(err, "t:2: not a text table"),
          "refused: %s", err);
    CHECK(sed_read_memory(&t, HEAD GOOD, strlen(HEAD GOOD), "t", &(sed_options){.confidence = 1.5}, err) == -1,
          "refused: %s", err);
    CHECK(sed_read(&t, name, NULL, err) == -1 && strstr(err, "No such file"), "refused: %s", err);
    CHECK(sed_read(&t, "/tmp", NULL, err) == -1 && strstr(err, "directory"), "refused: %s", err);
}

/* ---- size ---- */

/* Processor seconds that the reading of n lines takes, the least of three: no other process can add to it. */
static double reading_seconds(const char *text, int n) {
    const size_t size = sizeof HEAD - 1 + (size_t)n * (sizeof GOOD - 1);
    double least = HUGE_VAL;
    char err[ERROR_SIZE];
    for (int i = 0; i < 3; i++) {
        sed_table t;
        const clock_t start = clock();
        const int bad = sed_read_memory(&t, text, size, "t", NULL, err);
        least = fmin(least, (double)(clock() - start) / CLOCKS_PER_SEC);
        CHECK(!bad && t.n == n, "%d points are read", n);
        sed_free(&t);
    }
    return least;
}

/* A million lines are refused at the 100,001st point. Time is linear: ten times the points take about ten times as
   long, with the sorting's logarithm 12; quadratic time would take a hundred. 40 allows for caches that the larger
   table leaves. */
static void test_large(void) {
    size_t size = sizeof HEAD - 1;
    char *text = malloc(1000000 * (sizeof GOOD - 1) + sizeof HEAD);
    char err[ERROR_SIZE];
    if (!text) return;
    memcpy(text, HEAD, size);
    for (size_t i = 0; i < 1000000; i++, size += sizeof GOOD - 1)
        memcpy(text + size, GOOD, sizeof GOOD - 1);
    sed_table t;
    CHECK(sed_read_memory(&t, text, size, "t", NULL, err) == -1 && strstr(err, "t:100002: more than 100000 points"),
          "a million lines: %s", err);
    const double few = reading_seconds(text, SED_MAX_POINTS / 10);
    const double many = reading_seconds(text, SED_MAX_POINTS);
    CHECK_LE(many / few, 40, "time of 100,000 lines over that of 10,000");
    memset(text, 'x', 100000);
    text[100000] = '\n';
    CHECK(sed_read_memory(&t, text, 100001, "t", NULL, err) == -1 && strstr(err, "t:1: line longer than 65536 bytes"),
          "refused: %s", err);
    memset(text, ',', 60000);
    text[60000] = '\n';
    CHECK(sed_read_memory(&t, text, 60001, "t", NULL, err) == -1 && strstr(err, "t:1: more than 64 columns"),
          "refused: %s", err);
    free(text);
}

/* ---- the picture ---- */

/* Draws in a scratch folder; looks for words in the script, and for the picture where gnuplot is. */
static int drawn(const sed_picture *p, const char *word) {
    char folder[] = "/tmp/bml_test_sed_XXXXXX";
    char path[64];
    char err[ERROR_SIZE] = "";
    int found = 0;
    if (!mkdtemp(folder)) return 0;
    int status = sed_picture_write(p, folder, "sed", err);
    if (status) printf("note  %s\n", status > 0 ? "no gnuplot here: script only" : err);
    snprintf(path, sizeof path, "%s/sed.gp", folder);
    text_file t;
    if (!text_open(&t, path, err)) {
        char *line;
        while ((line = text_line(&t)))
            found |= strstr(line, word) != NULL;
        text_close(&t);
    }
    remove(path);
    snprintf(path, sizeof path, "%s/sed.png", folder);
    int there = !access(path, R_OK);
    remove(path);
    return status >= 0 && found && there == (status == 0) && !rmdir(folder); /* and nothing else was left */
}

static void test_picture(void) {
    enum { N = 50 };
    double nu[N];
    double best[N];
    double low[N];
    double high[N];
    const double *parts[1] = {low};
    const char *names[1] = {"it's a part"};
    char text[8192] = HEAD;
    char err[ERROR_SIZE] = "";
    sed_table t;
    sed_picture p = {.data = &t};
    for (int i = 0; i < N; i++) {
        nu[i] = pow(10, 10 + 0.3 * i);
        best[i] = i == 0 ? 0 : i == 1 ? (double)NAN : 1e-12; /* outside sight, and no number */
        low[i] = 0.5 * best[i];
        high[i] = 2 * best[i];
    }
    CHECK(!sed_read(&t, "examples/data/3hsp_j095507.csv", NULL, err) && drawn(&p, "'Fermi-LAT'"),
          "data alone are drawn (%s)", err);
    p.n_nu = N;
    p.nu = nu;
    p.best = best;
    p.lo50 = p.lo90 = low;
    p.hi50 = p.hi90 = high;
    p.n_components = 1;
    p.component = parts;
    p.component_name = names;
    CHECK(drawn(&p, "'it''s a part'"), "data, bands, the best line and a component are drawn");
    sed_free(&t);
    for (int i = 0; i < 40; i++)
        snprintf(text + strlen(text), 64, "1e%d,1e-12,%s,%d,instrument %d\n", 10 + i / 4, i % 3 ? "0.1" : "",
                 i % 3 == 0, i);
    CHECK(!read_from(&t, text, err) && drawn(&p, "points_0"), "forty instruments are drawn as one (%s)", err);
    sed_free(&t);
    CHECK(!read_from(&t, HEAD "1e15,1e-12,,1,\n", err) && drawn(&p, "'limits'"), "a single upper limit is drawn (%s)",
          err);
    sed_free(&t);
}

/* Tables of the EBL: both separators, units by hand (1 TeV is 2.418e26 Hz), tau between the entries bilinear. */
static void test_ebl(void) {
    static const char commas[] = "# a comment\n\nenergy_TeV, 0.1,0.5, 1\n0.1,0,0.25,1\n1.0,0.5,2.25,5\n10,3,20,50\n";
    static const char blanks[] = "nu_Hz 0.1 0.5 1\r\n 2.417989242e25  0   0.25 1\r\n2.417989242e26 0.5 2.25 5\r\n"
                                 "2.417989242e27 3 20 50\r\n";
    static const struct {
        const char *text, *word;
    } bad[] = {{"", "are needed"},
               {"energy_TeV,0.1,0.5\n1,1,1\n", "two energies"},
               {"energy_TeV,0.1\n", "two redshifts"},
               {"energy,0.1,0.5\n", "t:1: column 'energy'"},
               {"energy_TeV,0.5,0.1\n", "t:1: redshift '0.1': they must grow"},
               {"energy_TeV,-1,0.1\n", "redshift '-1'"},
               {"energy_TeV,0.1,x\n", "redshift 'x' is not a number"},
               {"energy_TeV,0.1,0.5\n1,1\n", "t:2: 2 fields, not 3"},
               {"energy_TeV,0.1,0.5\n1,1,-2\n", "t:2: tau '-2' must not be negative"},
               {"energy_TeV,0.1,0.5\n0,1,2\n", "energy '0' must be positive"},
               {"energy_TeV,0.1,0.5\n1,1,nan\n", "tau 'nan'"},
               {"#\nenergy_TeV,0.1,0.5\n1,1,2\n1,1,2\n", "t:4: energy '1': they must grow"}};
    const char *const texts[2] = {commas, blanks};
    char err[ERROR_SIZE] = "";
    ebl_table e;
    double tau;
    for (int i = 0; i < 2; i++) { /* and a column of zeros at z = 0 */
        CHECK(!ebl_read_memory(&e, texts[i], strlen(texts[i]), "t", err) && e.tau.n_z == 4 && e.tau.n_nu == 3,
              "EBL table, %s (%s)", i ? "blanks" : "commas", err);
        CHECK(!bml_ssc_ebl_depth(&tau, &e.tau, 0.5, 2.417989242e26), "tau at an entry");
        CHECK_NEAR(tau, 2.25, 1e-6, "is that of the entry");
        CHECK(!bml_ssc_ebl_depth(&tau, &e.tau, 0.3, 2.417989242e25 * sqrt(10.0)), "tau between four entries");
        CHECK_NEAR(tau, (0 + 0.25 + 0.5 + 2.25) / 4, 1e-6, "is their mean");
        ebl_free(&e);
    }
    CHECK(bml_ssc_ebl_depth(&tau, NULL, 0.3, 1e25) == BML_SSC_BAD_ARGUMENT, "no table: refused");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(ebl_read_memory(&e, bad[i].text, strlen(bad[i].text), "t", err) && strstr(err, bad[i].word) && !e.z,
              "EBL table refused: %s", err);
}

/* A compressed file of the real data in memory; NULL where it is not there. */
static char *unpacked(size_t *size, const char *name) {
    const char *path = check_data(name);
    char command[700];
    size_t room = 1 << 24;
    if (!path) return NULL;
    snprintf(command, sizeof command, "gzip -dc '%s'", path);
    FILE *f = popen(command, "r");
    char *data = malloc(room);
    *size = f && data ? fread(data, 1, room, f) : 0;
    if (f) pclose(f);
    return data;
}

/* Published tables in FITS. tau by hand with astropy, from exp(-tau) of one cell each:
   -log(fits.open(F)['SPECTRA'].data['INTPSPEC'][row][cell]) at sqrt(ENERG_LO ENERG_HI)[cell] keV; for Finke's the cell
      itself. */
static void test_ebl_fits(void) {
    static const struct {
        const char *name;
        double z, log10_tev, tau;
    } rows[] = {{"ebl/ebl_dominguez11.fits.gz", 0.109999999, 0.0060122522, 1.18842},
                {"ebl/ebl_franceschini_2017.fits.gz", 0.101000004, 0.6044411719, 1.6969},
                {"ebl/ebl_saldana-lopez_2021.fits.gz", 0.310000002, -0.0941884272, 3.101678},
                {"ebl/tau_finke_2010.fits.gz", 0.30, 0.0000000000, 3.788933}};
    char err[ERROR_SIZE] = "";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size;
        ebl_table e;
        double tau = -1;
        char *data = unpacked(&size, rows[i].name);
        if (!data) {
            SKIP("%s is not here", rows[i].name);
            continue;
        }
        CHECK(!ebl_read_memory(&e, data, size, "t", err), "%s is read (%s)", rows[i].name, err);
        free(data);
        if (!e.z) continue;
        const double nu = pow(10, rows[i].log10_tev) * EBL_TEV;
        CHECK(!bml_ssc_ebl_depth(&tau, &e.tau, rows[i].z, nu), "z = %g, %.4g Hz are inside", rows[i].z, nu);
        CHECK_NEAR(tau / rows[i].tau, 1, 1e-4, "tau there"); /* log E to eight digits, tau from single precision */
        CHECK(e.z[0] == 0 && e.depth[0] < 1e-90, "tau(z = 0) is 0"); /* or Finke's 1e-100 */
        ebl_free(&e);
    }
}

/* The shipped tables against the full ones: their own comment says within 0.009. */
static void test_ebl_shipped(void) {
    static const char *const names[][2] = {{"dominguez2011", "ebl/ebl_dominguez11.fits.gz"},
                                           {"saldana2021", "ebl/ebl_saldana-lopez_2021.fits.gz"}};
    char err[ERROR_SIZE] = "";
    char path[PATH_SIZE];
    for (int i = 0; i < 2; i++) {
        size_t size;
        ebl_table thin;
        ebl_table full;
        double most = 0;
        CHECK(!ebl_find(path, sizeof path, names[i][0], err) && !ebl_read(&thin, path, err),
              "%s is found and read (%s)", names[i][0], err);
        char *data = unpacked(&size, names[i][1]);
        if (!data) {
            SKIP("the full table is not here");
            ebl_free(&thin);
            continue;
        }
        CHECK(!ebl_read_memory(&full, data, size, "t", err), "the full table is read (%s)", err);
        for (double z = 0.005; z < 3; z += 0.013)
            for (double log_nu = 24.5; log_nu < 28.38; log_nu += 0.011) {
                double a = 0;
                double b = 0;
                if (bml_ssc_ebl_depth(&a, &thin.tau, z, pow(10, log_nu))) continue;
                if (bml_ssc_ebl_depth(&b, &full.tau, z, pow(10, log_nu))) continue;
                most = fmax(most, fabs(exp(-a) - exp(-b)));
            }
        CHECK_LE(most, 0.009, "greatest error of exp(-tau)");
        free(data);
        ebl_free(&thin);
        ebl_free(&full);
    }
    CHECK(ebl_find(path, sizeof path, "nobody1999", err) && strstr(err, "neither a file nor a model"),
          "an unknown model: %s", err);
}

/* Tables without names, and total absorption. */
static void test_ebl_headerless(void) {
    static const struct {
        const char *what, *text;
    } rows[] = {
        {"redshifts behind a 0", "# x\n0 0.05 0.1 0.5\n0.1 0 0.1 1\n1 0.4 1.0 6\n10 2 5 inf\n"},
        {"redshifts in a comment, GeV",
         "# redshifts: 0.05 0.1 0.5 1.0\n100 0 0.1 1 2\n1000 0.4 1.0 6 9\n10000 2 5 inf inf\n"},
    };
    char err[ERROR_SIZE] = "";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ebl_table e;
        double tau = 0;
        CHECK(!ebl_read_memory(&e, rows[i].text, strlen(rows[i].text), "t", err), "%s (%s)", rows[i].what, err);
        if (!e.z) continue;
        CHECK(!bml_ssc_ebl_depth(&tau, &e.tau, 0.1, EBL_TEV), "1 TeV at z = 0.1 is inside");
        CHECK_NEAR(tau, 1, 1e-9, "tau there");
        CHECK(!bml_ssc_ebl_depth(&tau, &e.tau, 0.025, EBL_TEV), "z below the first column is inside");
        CHECK_NEAR(tau, 0.2, 1e-9, "half way to tau(0) = 0");
        CHECK(!bml_ssc_ebl_depth(&tau, &e.tau, 0.5, 10 * EBL_TEV) && tau > 600, "inf is total absorption");
        ebl_free(&e);
    }
    static const char none[] = "0.1 0 0.1 1\n1 0.4 1.0 6\n";
    ebl_table e;
    CHECK(ebl_read_memory(&e, none, strlen(none), "t", err) && strstr(err, "no line of redshifts"), "no redshifts: %s",
          err);
    CHECK(ebl_read_memory(&e, "\x1f\x8b", 2, "t", err) && strstr(err, "gunzip"), "compressed: %s", err);
    CHECK(ebl_read_memory(&e, "SIMPLE  =", 9, "t", err), "a FITS file that ends at once: %s", err);
}

/* Tables that had been refused, or misread, and must not be; nu and nuFnu of the first point. */
static void test_strangers(void) {
    static const struct {
        const char *what, *text;
        int n, dropped, limits;
        double nu, nuFnu;
    } rows[] = {
        {"our names between tabs", "nu_Hz\tnuFnu_erg_cm2_s\terr_dex\n1e14\t1e-11\t0.1\n1e15\t2e-11\t0.1\n", 2, 0, 0,
         1e14, 1e-11},
        {"our names between semicolons", "nu_Hz;nuFnu_erg_cm2_s;err_dex\n1e14;1e-11;0.1\n", 1, 0, 0, 1e14, 1e-11},
        {"our names between blanks", "nu_Hz  nuFnu_erg_cm2_s err_dex\n1e14   1e-11 0.1\n", 1, 0, 0, 1e14, 1e-11},
        {"a limit without a value", "nu_Hz,nuFnu_erg_cm2_s,err_dex,is_ul\n1e14,1e-11,0.1,0\n3e14,,,1\n4e14,nan,,1\n", 1,
         2, 0, 1e14, 1e-11},
        {"a limit as <", "nu_Hz,nuFnu_erg_cm2_s,err_erg_cm2_s\n1e14,<1e-11,\n1e15,1e-11,1e-12\n", 2, 0, 1, 1e14, 1e-11},
        {"a row of units", "frequency,flux,flux_error\nHz,Jy,Jy\n1e14,0.01,0.001\n1e15,0.02,0.001\n", 2, 0, 0, 1e14,
         1e-11},
        {"a comment of units", "% energy flux flux_err\n% keV erg/cm2/s erg/cm2/s\n1 1e-11 1e-12\n", 1, 0, 0,
         2.417989242e17, 1e-11},
        {"a comment of units, with names of things", "# freq   Fnu err   instr\n# [Hz] [mJy] [mJy] -\n1e14 1 0.1 A\n",
         1, 0, 0, 1e14, 1e-12},
        {"dN/dE, semicolons", "# E [TeV]; dN/dE [cm-2 s-1 TeV-1]; err\n1;1e-12;1e-13\n", 1, 0, 0, 2.417989242e26,
         1.602176634e-12},
    };
    static const struct {
        const char *text, *complaint;
    } bad[] = {{"frequency,flux,flux_error\nHz,Jy,furlong\nx,y,z\n", "not a number"},
               {"frequency,flux,flux_error\nwhat,ever,this\n1e14,1,0.1\n", "is no data"},
               {"# nu nuFnu err\n# 14 -11 0.1\n14.1 -11.2 0.1\n", "has no unit"},
               {"nu_Hz\tnuFnu_erg_cm2_s\terr_dex\n14\t1e-11\t0.1\n", "a logarithm"},
               {"energy_eV,nuFnu_erg_cm2_s,err_dex\n1e-10,1e-11,0.1\n", "no frequency"}};
    char err[ERROR_SIZE];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sed_table t;
        CHECK(!read_from(&t, rows[i].text, err), "%s is read (%s)", rows[i].what, err);
        int limits = 0;
        for (int k = 0; k < t.n; k++)
            limits += t.point[k].upper_limit;
        CHECK(t.n == rows[i].n && t.dropped == rows[i].dropped && limits == rows[i].limits,
              "%s: %d points, %ld dropped, %d limits", rows[i].what, t.n, (long)t.dropped, limits);
        if (t.n) CHECK_NEAR(t.point[0].nu / rows[i].nu, 1, 1e-9, "its frequency");
        if (t.n) CHECK_NEAR(t.point[0].nuFnu / rows[i].nuFnu, 1, 1e-9, "its flux");
        sed_free(&t);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sed_table t;
        CHECK(read_from(&t, bad[i].text, err) && strstr(err, bad[i].complaint), "refused: %s", err);
        sed_free(&t);
    }
    sed_table t;
    const int refused =
        read_from(&t, "nu_Hz,nuFnu_W_m2,err_W_m2\n1e14,1e-11,1e-12\n3e14,1.2e-11,1e-12\n1e15,2e-11,1e-12\n", err);
    CHECK(!refused && t.odd_fluxes == 3 && t.n_notes == 1 && strstr(t.note[0], "another unit"),
          "a table that is too bright by a thousand: %s", t.n_notes ? t.note[0] : "no note");
    sed_free(&t);
}

/* ---- what stands around a blob ---- */

/* Names and numbers as users write them. */
static void test_around_names(void) {
    static const struct {
        const char *text, *complaint;
    } bad[] = {{"log_distance", "has no =VALUE"},
               {"log_distance=", "is empty"},
               {"log_distance=17x", "not a number"},
               {"log_distance=3e17", "outside 10 ... 26"}, /* a plain value for a logarithm */
               {"log_distance=nan", "not finite"},
               {"log_f_blr=0.1", "outside -10 ... 0"},
               {"log_distanc=17", "is it log_distance"},
               {"=", "no such name"},
               {"", "no such name"}};
    char err[ERROR_SIZE] = "";
    surroundings s = {.fields = 0};
    int set = 0;
    CHECK(!surroundings_read(&set, "blr,torus", AROUND_PLACED, err) && set == (AROUND_BLR | AROUND_TORUS),
          "two fields");
    CHECK(!surroundings_read(&set, "none", AROUND_PLACED, err) && set == (AROUND_BLR | AROUND_TORUS), "none adds none");
    CHECK(surroundings_read(&set, "blr,host", AROUND_PLACED, err) && strstr(err, "'host' is none of blr, torus, disc"),
          "a galaxy is no field: %s", err);
    CHECK(surroundings_read(&set, "bl", AROUND_PLACED, err), "half a name: %s", err);
    CHECK(surroundings_read(&set, "lines", AROUND_PLACED, err) && strstr(err, "the same clouds"), "blr and lines: %s",
          err);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(surroundings_set(&s, bad[i].text, err) && strstr(err, bad[i].complaint), "'%s': %s", bad[i].text, err);
    CHECK(s.distance == 0 && s.f_blr == 0, "what is refused changes nothing");
    CHECK(!surroundings_set(&s, "log_L_disc=45.6020599913", err), "L_disc = 4e45 (%s)", err);
    surroundings_usual(&s, 20);
    CHECK_NEAR(s.R_blr, 2e17, 1e8, "R_BLR = 1e17 cm (L/1e45)^(1/2)");
    CHECK_NEAR(s.R_torus, 5e18, 1e9, "R_torus = 2.5e18 cm (L/1e45)^(1/2)");
    CHECK(s.Gamma == 20 && s.f_blr == 0.1, "the rest is usual");
}

/* Depth and light are those of bml_ssc.h, in whatever pieces and order the frequencies come; the fields that are not
   asked for do nothing. */
static void test_around_sums(void) {
    enum { N = 300 };
    static double nu[N];
    static double flux[N];
    static double want[N];
    char why[BML_SSC_MESSAGE] = "";
    surroundings s = {.fields = AROUND_BLR | AROUND_TORUS | AROUND_CMB | AROUND_GREY,
                      .shines = AROUND_DISC | AROUND_HOST,
                      .distance = 2e17,
                      .redshift = 0.5,
                      .L_disc = 4e45,
                      .L_host = 1e44,
                      .u_ext = 0.1,
                      .T_ext = 1e4};
    const bml_ssc_observer o = {.redshift = 0.5};
    surroundings_usual(&s, 20);
    bml_ssc_external field[2] = {surroundings_field(&s, AROUND_BLR), surroundings_field(&s, AROUND_TORUS)};
    const bml_ssc_path path = {field, 2, s.distance, s.redshift};
    for (int i = 0; i < N; i++) {
        nu[i] = pow(10, 12 + 16.0 * ((i * 7) % N) / N); /* not in order */
        flux[i] = 1;
    }
    CHECK(!surroundings_absorb(flux, nu, N, &s, why), "absorbed (%s)", why);
    double worst = 0;
    double deepest = 1;
    for (int i = 0; i < N; i++) {
        double tau = 0;
        bml_ssc_field_depth(&tau, &nu[i], 1, &path, why);
        worst = fmax(worst, fabs(flux[i] - exp(-tau)));
        deepest = fmin(deepest, flux[i]);
    }
    CHECK_LE(worst, 1e-12, "exp(-tau) of bml_ssc_field_depth, point by point");
    CHECK(deepest < 0.5, "which is deep somewhere: %g", deepest);
    memset(flux, 0, sizeof flux);
    const bml_ssc_external disc = surroundings_field(&s, AROUND_DISC);
    bml_ssc_thermal_sed(want, nu, N, &disc, &o, why);
    CHECK(!surroundings_add(flux, nu, N, &s, AROUND_DISC, &o, why), "the disc shines (%s)", why);
    CHECK(!memcmp(flux, want, sizeof flux), "as bml_ssc_thermal_sed says");
    bml_ssc_host_sed(want, nu, N, 1e44, &o);
    surroundings_add(want, nu, N, &s, AROUND_DISC, &o, why);
    surroundings_add(flux, nu, N, &s, AROUND_HOST, &o, why);
    worst = 0;
    for (int i = 0; i < N; i++)
        worst = fmax(worst, fabs(flux[i] - want[i]));
    CHECK_LE(worst, 1e-25, "and the galaxy beside it");
    s.fields = AROUND_CMB;
    flux[0] = 1;
    CHECK(!surroundings_absorb(flux, nu, 1, &s, why) && flux[0] == 1, "the CMB is left to the EBL");
    s.fields = AROUND_BLR;
    s.distance = 0;
    nu[0] = 1e26;
    CHECK(surroundings_absorb(flux, nu, 1, &s, why) == BML_SSC_PARAMETER && strstr(why, "distance"), "no distance: %s",
          why);
}

/* At the centre of a shell u = xi L/(4 pi R^2 c), Gamma^2 (1 + beta^2/3) times as much in the blob; the grey body is
   given there. */
static void test_around_energy(void) {
    surroundings s = {.fields = AROUND_BLR | AROUND_GREY, .distance = 1e14, .L_disc = 4e45, .u_ext = 0.5};
    surroundings_usual(&s, 10);
    const double u = 0.1 * 4e45 / (4 * 3.14159265358979 * 4e34 * 2.99792458e10);
    CHECK_NEAR(surroundings_energy(&s) / (0.5 + u * 100 * (1 + 0.99 / 3)), 1, 1e-3, "u of shell and grey body");
    s.fields = AROUND_LINES; /* at the centre of all shells: each has its share of the light, over its radius squared */
    bml_ssc_external field[AROUND_FIELDS];
    const int n = surroundings_fields(field, &s);
    double share = 0;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        share += field[i].fraction;
        sum += field[i].fraction / pow(field[i].radius / s.R_blr, 2);
    }
    CHECK(n == BML_SSC_LINE_SHELLS && fabs(share / s.f_blr - 1) < 1e-12, "%d shells of all lines share the light", n);
    CHECK_NEAR(surroundings_energy(&s) / (u * sum / s.f_blr * 100 * (1 + 0.99 / 3)), 1, 1e-3, "u of all broad lines");
}

int main(void) {
    test_strangers();
    test_around_names();
    test_around_sums();
    test_around_energy();
    test_ebl();
    test_ebl_fits();
    test_ebl_shipped();
    test_ebl_headerless();
    test_csv();
    test_linear_errors();
    test_units();
    test_naima();
    test_gammapy();
    test_jetset();
    test_gadf();
    test_other_formats();
    test_frames();
    test_suspicions();
    test_blocks();
    test_choices();
    test_spellings();
    test_real();
    test_samples();
    test_samples_by_hand();
    test_errors();
    test_large();
    test_picture();
    return check_done();
}
