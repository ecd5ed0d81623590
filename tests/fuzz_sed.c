/* fuzz_sed.c: the readers of SEDs and of EBL tables against any bytes. What it accepts must be sound. `make fuzz` builds and runs it. */
#include "common.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#include "sed.h"
#include "ebl.h"

static void read_ebl(const uint8_t *data, size_t size) {
    char err[ERROR_SIZE] = "";
    ebl_table e;
    double tau;
    if (ebl_read_memory(&e, data, size, "input", err)) {
        if (!err[0] || strchr(err, '\n') || e.z || e.depth) abort();
        return;
    }
    const bml_ssc_ebl *t = &e.tau;
    if (t->n_z < 2 || t->n_nu < 2) abort();
    const double nu = pow(10, 0.5 * (t->log10_nu[0] + t->log10_nu[t->n_nu - 1]));
    const int status = bml_ssc_ebl_depth(&tau, t, t->z[t->n_z - 1], nu);
    if (!status && !(tau >= 0)) abort();
    ebl_free(&e);
}

/* Ways of reading, one for each length of the input modulo four. */
static const sed_options ways[4] = {{.confidence = 0},
                                    {.error_floor = 0.05, .unchecked = 1},
                                    {.frame = SED_FRAME_SOURCE, .redshift = 0.1, .unchecked = 1},
                                    {.columns = "nu_Hz,nuFnu_erg_cm2_s,err,instrument", .nu_min = 1e9}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char err[ERROR_SIZE] = "";
    read_ebl(data, size);
    sed_table t;
    if (sed_read_memory(&t, data, size, "input", &ways[size % 4], err)) {
        if (!err[0] || strchr(err, '\n') || t.n || t.point) abort();
        return 0;
    }
    if (t.n < 1 || t.n > SED_MAX_POINTS || t.redshift < 0) abort();
    if (t.rows < t.n || t.n_notes < 0 || t.n_notes > SED_NOTES) abort();
    for (int i = 0; i < t.n; i++) {
        const bml_ssc_point *p = &t.point[i];
        if (!(p->nu > 0 && p->nuFnu > 0 && p->sigma_hi > 0) || !(p->sigma_lo > 0 || p->upper_limit)) abort();
        if (!isfinite(p->nu) || !isfinite(p->nuFnu) || !isfinite(p->sigma_lo) || !isfinite(p->sigma_hi)) abort();
        if (i > 0 && p->nu < t.point[i - 1].nu) abort();
        if (!(t.bin[i][0] <= t.bin[i][1])) abort();
        if (strlen(t.instrument[i]) >= SED_INSTRUMENT) abort();
    }
    sed_free(&t);
    return 0;
}
