/* fuzz_xray.c: model expressions, and prior files for their parameters, against any bytes. The input's first line is
   the expression, the rest the prior file. */
#include "common.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"
#include "xray_fit.h"

/* What an expression that was taken must be able to do. */
static void check_model(const xray_model *m) {
    static const double edge[] = {0.3, 0.5, 1, 2, 5, 10};
    char err[ERROR_SIZE];
    double par[XRAY_MAX_PAR];
    double flux[5];
    double *scratch = malloc((3 + XRAY_MAX_PARTS + 1) * 5 * sizeof *scratch);
    if (m->n_par < 2 || m->n_par > XRAY_MAX_PAR || m->depth < 1 || m->depth > XRAY_MAX_PARTS ||
        m->n_op > 3 * XRAY_MAX_PARTS)
        abort();
    for (int k = 0; k < m->n_par; k++) {
        const xray_par *p = &m->par[k];
        if (xray_model_find(m, p->name) != k || !(p->lo < p->hi)) abort();
        par[k] = p->fixed ? p->value : p->log ? sqrt(p->from * p->to) : 0.5 * (p->from + p->to);
    }
    xray_absorption ism;
    if (!scratch || xray_absorption_builtin(&ism, XRAY_WILM, err)) return;
    xray_grid g;
    if (!xray_grid_make(&g, edge, 5, &ism, err)) {
        xray_model_eval(flux, m, &g, par, scratch);
        for (int i = 0; i < 5; i++)
            if (!(flux[i] >= 0 && flux[i] < 1e300)) abort();
        xray_grid_free(&g);
    }
    xray_absorption_free(&ism);
    free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[300];
    char err[ERROR_SIZE] = "";
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t line = end ? (size_t)(end - data) : size;
    size_t n = line < sizeof text - 1 ? line : sizeof text - 1;
    static prior_file prior;
    if (n) memcpy(text, data, n);
    text[n] = 0;
    xray_model m;
    int bad = xray_model_parse(&m, text, err);
    if (bad && (!err[0] || strlen(err) >= ERROR_SIZE)) abort();
    if (bad) return 0;
    check_model(&m);
    if (!end || prior_read_memory(&prior, end + 1, size - line - 1, "input", err)) return 0;
    for (int i = 0; i < prior.n; i++) {
        int k = xray_model_find(&m, prior.row[i].name);
        if (k < -2 || k >= m.n_par) abort();
    }
    prior_free(&prior);
    return 0;
}
