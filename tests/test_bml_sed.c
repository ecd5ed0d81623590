/* test_bml_sed.c: the library's face of the SED reader, the background light and the surrogate
   (examples/common/bml_sed.h) against what is behind it; what it refuses. */
#include "common.h"
#include "bml_nn.h"
#include "bml_ssc.h"
#define BML_SED_IMPLEMENTATION
#include "bml_sed.h"

#include "check.h"

enum { N = 50, N_NU = 20 };
static const char table_path[] = "examples/data/3hsp_j095507.csv";

static void test_tables(void) {
    char why[BML_SED_MESSAGE];
    char err[ERROR_SIZE];
    bml_sed_table *t;
    sed_table own;
    CHECK(bml_sed_read(&t, table_path, NULL, why) == BML_SED_OK && why[0] == 0, "a table: %s", why);
    CHECK(sed_read(&own, table_path, NULL, err) == 0, "the same by sed.h");
    CHECK(t->n == own.n && !memcmp(t->point, own.point, (size_t)own.n * sizeof *own.point), "the same points");
    CHECK(!strcmp(t->instrument[0], own.instrument[0]) && !memcmp(&t->redshift, &own.redshift, sizeof t->redshift),
          "names and redshift");
    sed_free(&own);
    bml_sed_free(t);
    static const char text[] = "nu_Hz,nuFnu_erg_cm2_s,err_dex\n1e15,1e-12,0.1\n1e14,0,0.1\n";
    CHECK(bml_sed_parse(&t, text, sizeof text - 1, "text", NULL, why) == BML_SED_BAD_FILE && !t, "refused: %s", why);
    CHECK(!strncmp(why, "text:3:", 7), "with its line");
    CHECK(bml_sed_read(&t, "nowhere.csv", NULL, why) == BML_SED_BAD_FILE && !t, "refused: %s", why);
    CHECK(bml_sed_read(&t, NULL, NULL, NULL) == BML_SED_BAD_ARGUMENT && !t, "no path, and no reason wanted");
    bml_sed_options options = {.n_skip = 1};
    CHECK(bml_sed_read(&t, table_path, &options, why) == BML_SED_BAD_ARGUMENT && !t, "n_skip without skip: %s", why);
    bml_sed_free(NULL);
    CHECK(!strcmp(bml_sed_strerror(BML_SED_OK), "no error") && strcmp(bml_sed_strerror(-99), "no error"), "texts");
}

static void test_ebl(void) {
    char why[BML_SED_MESSAGE];
    bml_sed_ebl *e;
    double tau = 0;
    CHECK(bml_sed_ebl_read(&e, "dominguez2011", why) == BML_SED_OK, "a shipped table: %s", why);
    const int status = bml_ssc_ebl_depth(&tau, bml_sed_ebl_depths(e), 0.1, 2.4e26);
    CHECK(status == BML_SSC_OK && tau > 0.5 && tau < 2, "tau = %.2f at 1 TeV and z = 0.1", tau);
    bml_sed_ebl_free(e);
    CHECK(bml_sed_ebl_read(&e, "nobody2050", why) == BML_SED_BAD_FILE && !e, "refused: %s", why);
    CHECK(bml_sed_ebl_depths(NULL) == NULL, "no table, no depths");
}

static void test_priors(void) {
    char why[BML_SED_MESSAGE];
    bml_sed_prior *p;
    FILE *f = fopen("build/test_bml_sed.csv", "w");
    if (!f) return;
    fprintf(f, "log_R,uniform,14,17\nlog_B,normal,0,1.5\np,truncnormal,2,0.5,1.5,3\n");
    fclose(f);
    CHECK(bml_sed_prior_read(&p, "build/test_bml_sed.csv", why) == BML_SED_OK && p->n == 3, "a prior file: %s", why);
    CHECK(p && !strcmp(p->row[0].name, "log_R") && p->row[0].upper == 17 && p->row[1].sd == 1.5 &&
              p->row[2].lower == 1.5,
          "its lines");
    bml_sed_prior_free(p);
    f = fopen("build/test_bml_sed.csv", "w");
    if (f) fprintf(f, "log_R,uniform,14,17\nlog_B,flat,0,1\n");
    if (f) fclose(f);
    CHECK(bml_sed_prior_read(&p, "build/test_bml_sed.csv", why) == BML_SED_BAD_FILE && !p && strstr(why, ".csv:2:"),
          "refused: %s", why);
    remove("build/test_bml_sed.csv");
}

/* Rows inside the domain, and one outside. */
static void rows_of(double *row, const bml_sed_surrogate_info *d) {
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < 6; k++)
            row[6 * i + k] = d->lo[k] + (d->hi[k] - d->lo[k]) * (0.3 + 0.4 * (double)((i * (7 + k)) % 11) / 10);
        row[6 * i + 3] = fmax(row[6 * i + 3], row[6 * i + 2] + d->span + 0.1);
    }
    row[6 * (N - 1)] = d->hi[0] + 1;
}

static void test_surrogate(void) {
    char why[BML_SED_MESSAGE];
    bml_sed_surrogate *s;
    bml_sed_surrogate_info info;
    bml_sed_table *t;
    static double row[6 * N];
    static double delta[N];
    static double flux[2][N * N_NU];
    static float spectra[2][N * BML_SED_SPECTRUM];
    double nu[N_NU];
    CHECK(bml_sed_surrogate_load(&s, "examples/models/ssc.safetensors", why) == BML_SED_OK, "the model: %s", why);
    if (!s) return;
    CHECK(bml_sed_surrogate_get_info(&info, s) == BML_SED_OK && info.n_params > 1000 && info.span == 2, "its domain");
    rows_of(row, &info);
    for (int i = 0; i < N; i++)
        delta[i] = 5 + i;
    for (int i = 0; i < N_NU; i++)
        nu[i] = pow(10, 9 + 0.8 * i);
    bml_ssc_observer observer = {.redshift = 0.2};
    bml_sed_rows rows = {.row = row, .delta = delta, .n = N, .threads = 1, .observer = &observer};
    CHECK(bml_sed_surrogate_fluxes(flux[0], s, &rows, nu, N_NU, why) == BML_SED_OK, "fluxes: %s", why);
    rows.threads = 3;
    bml_sed_surrogate_fluxes(flux[1], s, &rows, nu, N_NU, why);
    CHECK(!memcmp(flux[0], flux[1], (N - 1) * N_NU * sizeof(double)), "three threads: the same bits");
    CHECK(isnan(flux[0][(N - 1) * N_NU]) && bml_sed_surrogate_outside(s, row + 6 * (N - 1)), "outside the domain: NaN");

    /* (13) once more, from the spectrum: with delta = 1 + z they stand on the same axis */
    CHECK(bml_sed_surrogate_spectra(spectra[0], s, &rows, why) == BML_SED_OK, "spectra: %s", why);
    const double x = -15 + 25.0 * 240 / 499;
    const double at = pow(10, x) * 8.1871057769e-7 / 6.62607015e-27;
    const double distance = bml_ssc_luminosity_distance(0.2, 70, 0.3);
    delta[0] = 1.2;
    CHECK(bml_sed_surrogate_fluxes(flux[0], s, &rows, &at, 1, why) == BML_SED_OK, "one frequency");
    const double area = 8.1871057769e-7 * 2.99792458e10 / (3 * 6.6524587321e-25 * distance * distance);
    const double want = pow(10, (double)spectra[0][240] + row[0]) * area * pow(1.2, 4);
    CHECK_NEAR(log10(flux[0][0] / want), 0, 2e-5,
               "flux and spectrum agree (the grid's blend is good to 2e-6 dex, in float)");

    /* likelihoods */
    double ln_l[N];
    double again[N];
    CHECK(bml_sed_read(&t, table_path, NULL, why) == BML_SED_OK, "data");
    static double model[N * 40];
    double frequencies[40];
    for (int i = 0; i < t->n; i++)
        frequencies[i] = t->point[i].nu;
    CHECK(bml_sed_surrogate_log_likelihood(ln_l, s, &rows, t->point, t->n, why) == BML_SED_OK, "likelihoods: %s", why);
    bml_sed_surrogate_fluxes(model, s, &rows, frequencies, t->n, why);
    CHECK(bml_sed_log_likelihood(again, model, N, t->point, t->n, NULL) == BML_SED_OK &&
              !memcmp(ln_l, again, sizeof again),
          "the same by fluxes, to the bit");
    CHECK(ln_l[N - 1] == -HUGE_VAL, "outside the domain: impossible");
    static double gradient[N][BML_SED_GRADIENT];
    CHECK(bml_sed_surrogate_gradient(again, gradient[0], s, &rows, t->point, t->n, why) == BML_SED_OK &&
              !memcmp(ln_l, again, sizeof again),
          "the likelihoods that go with gradients: %s", why);
    int right = 0;
    for (int i = 0; i < N; i++)
        right += (gradient[i][0] != 0) == (ln_l[i] > -HUGE_VAL);
    CHECK(right == N, "a gradient where there is a likelihood: %d of %d (its numbers: python_api.py)", right, N);
    CHECK(bml_sed_surrogate_gradient(again, NULL, s, &rows, t->point, t->n, why) == BML_SED_BAD_ARGUMENT,
          "no gradient: %s", why);
    rows.own_error = 1;
    bml_sed_surrogate_log_likelihood(again, s, &rows, t->point, t->n, why);
    int wider = 0;
    int finite = 0;
    for (int i = 0; i < N; i++) {
        finite += ln_l[i] > -HUGE_VAL;
        wider += ln_l[i] > -HUGE_VAL && again[i] > ln_l[i];
    }
    CHECK(finite > N / 2 && wider == finite, "the network's own error widens poor fits: %d of %d", wider, finite);
    bml_ssc_point bad = t->point[0];
    bad.sigma_lo = -1;
    CHECK(bml_sed_surrogate_log_likelihood(ln_l, s, &rows, &bad, 1, why) == BML_SED_POINT, "a bad point: %s", why);
    observer.redshift = 0;
    CHECK(bml_sed_surrogate_fluxes(flux[0], s, &rows, nu, N_NU, why) == BML_SED_OBSERVER, "no redshift: %s", why);
    nu[3] = -1;
    observer.redshift = 0.2;
    CHECK(bml_sed_surrogate_fluxes(flux[0], s, &rows, nu, N_NU, why) == BML_SED_BAD_ARGUMENT, "a bad frequency: %s",
          why);
    rows.delta = NULL;
    CHECK(bml_sed_surrogate_fluxes(flux[0], s, &rows, nu, N_NU, NULL) == BML_SED_BAD_ARGUMENT, "no delta");
    bml_sed_surrogate_free(s);
    CHECK(bml_sed_surrogate_load(&s, table_path, why) == BML_SED_BAD_FILE && !s, "no model: %s", why);
    bml_sed_free(t);
}

int main(void) {
    test_tables();
    test_ebl();
    test_priors();
    test_surrogate();
    return check_done();
}
