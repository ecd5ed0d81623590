/* fuzz_prior.c: the readers of prior files and of tabulated priors against any bytes. */
#include "common.h"

static void check_row(const prior_row *r) {
    if (!isfinite(r->lower) || !isfinite(r->upper) || !isfinite(r->mean) || !isfinite(r->sd)) abort();
    if (!(r->lower < r->upper) && !(r->kind == PRIOR_NORMAL && r->sd > 0)) abort();
    for (int i = 0; i < r->n; i++)
        if (!(r->density[i] >= 0) || (i > 0 && !(r->x[i] > r->x[i - 1]))) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char err[ERROR_SIZE] = "";
    static prior_file p;
    if (prior_read_memory(&p, data, size, "input", err)) {
        if (!err[0] || p.n) abort();
    } else {
        for (int i = 0; i < p.n; i++)
            check_row(&p.row[i]);
        prior_free(&p);
    }
    prior_row row;
    memset(&row, 0, sizeof row);
    text_file t;
    if (text_copy(&t, data, size, "input", err)) return 0;
    if (!prior_table_text(&row, &t, err)) check_row(&row);
    text_close(&t);
    free(row.x);
    free(row.density);
    return 0;
}
