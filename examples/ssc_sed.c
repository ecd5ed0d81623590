/* ssc_sed: parameter rows in, spectra out.

     echo 16,-1,3,6,-4,2.2 | ssc_sed

   Each input row holds the six parameters of bml_ssc_source_from_row; each output row repeats them and adds 500 values
   of log10(x^2 n) in the blob at log10 x = -15 ... 10, x = h nu/(m_e c^2), where "no photons" is -30. */
#include "common.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"

enum { N_PAR = 6, N_X = 500, CHUNK = 256 };
static const double floor_y = -30;

typedef struct chunk { /* rows read, not yet written */
    double row[CHUNK][N_PAR], y[CHUNK][N_X];
    long line[CHUNK];
    int status[CHUNK], n;
    char why[CHUNK][BML_SSC_MESSAGE];
} chunk;

/* One row of text into row [6]. More columns than six are the spectrum that an earlier run wrote. Complains in err. */
static int read_row(double *row, const text_file *t, char *text, char *err) {
    char *field[N_PAR + N_X + 1];
    int n = split(field, N_PAR + N_X + 1, text, ',');
    if (n != N_PAR && n != N_PAR + N_X)
        return error_at(err, t->name, t->line,
                        "%d columns, expected %d: log10 R, log10 B, log10 gamma_min, "
                        "log10 gamma_max, log10 compactness, p",
                        n, N_PAR);
    for (int i = 0; i < N_PAR; i++) {
        const char *wrong = read_real(&row[i], field[i]);
        if (wrong) return error_at(err, t->name, t->line, "column %d: '%.40s' %s", i + 1, field[i], wrong);
    }
    return 0;
}

static void solve(chunk *c, bml_ssc_blob **blobs, const bml_ssc_source *model, const double *log10_x, int threads) {
    (void)threads;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(threads)
#endif
    for (int i = 0; i < c->n; i++) {
        bml_ssc_blob *blob = blobs[thread_number()];
        bml_ssc_source source = *model;
        bml_ssc_source_from_row(&source, c->row[i]);
        c->status[i] = bml_ssc_solve(blob, &source);
        if (!c->status[i])
            c->status[i] = bml_ssc_spectrum(c->y[i], log10_x, N_X, blob, BML_SSC_TOTAL);
        else
            snprintf(c->why[i], sizeof c->why[i], "%s", bml_ssc_message(blob));
        for (int k = 0; k < N_X; k++)
            if (!(c->y[i][k] > floor_y)) c->y[i][k] = floor_y;
    }
}

/* Writes the rows that worked, complains about the others; returns how many failed. */
static int write_rows(const chunk *c, const char *name) {
    int bad = 0;
    for (int i = 0; i < c->n; i++) {
        if (c->status[i]) {
            fprintf(stderr, "%s:%ld: %s\n", name, c->line[i], c->why[i]);
            bad++;
            continue;
        }
        for (int k = 0; k < N_PAR; k++)
            printf("%.10g,", c->row[i][k]);
        for (int k = 0; k < N_X; k++)
            printf("%.5f%c", c->y[i][k], k + 1 < N_X ? ',' : '\n');
    }
    return bad;
}

static void write_header(const double *log10_x) {
    printf("log10_R_cm,log10_B_G,log10_gamma_min,log10_gamma_max,log10_compactness,p");
    for (int k = 0; k < N_X; k++)
        printf(",y_%.4f", log10_x[k]);
    printf("\n");
}

int main(int argc, char **argv) {
    int grid = 0;
    int ssa = 0;
    int gg = 0;
    int header = 1;
    int bad = 0;
    int started = 0;
    long threads = 0;
    double t_end = 5;
    double spacing = 0.1;
    const option_row options[] = {
        {.name = "grid", .choice = &grid, .value = "converged|athena", .help = "energy grid"},
        {.name = "spacing",
         .real = &spacing,
         .min = 0.01,
         .max = 0.25,
         .value = "DEX",
         .help = "spacing of the converged grid"},
        {.name = "t",
         .real = &t_end,
         .min = 0.01,
         .max = 1e5,
         .value = "T",
         .help = "time since injection began [R/c]"},
        {.name = "ssa", .flag = &ssa, .help = "synchrotron self-absorption"},
        {.name = "gg", .flag = &gg, .help = "photon-photon absorption and pair injection"},
        {.name = "threads", .integer = &threads, .min = 0, .max = 1024, .value = "N", .help = "0: all cores"},
        {.name = "header", .flag = &header, .help = "line of column names first"},
        {0}};
    char err[ERROR_SIZE];
    bml_ssc_config config = {0};
    bml_ssc_source model = {0};
    double log10_x[N_X];
    chunk *c = calloc(1, sizeof *c);

    int first =
        options_parse(argc, argv, options, "ssc_sed [options] [FILE|-]",
                      "Spectra of synchrotron self-Compton sources. Input: CSV rows of log10 R [cm], log10 B [G],\n"
                      "log10 gamma_min, log10 gamma_max, log10 compactness, p. Output: the same row and 500 values of\n"
                      "log10(x^2 n) at log10 x = -15 ... 10, x = h nu/(m_e c^2); floor -30.");
    if (argc - first > 1) fail("ssc_sed: one input file at most, see --help");
    text_file in;
    if (text_open(&in, first < argc ? argv[first] : "-", err)) fail("%s", err);

    config.grid = grid ? BML_SSC_ATHENA : BML_SSC_CONVERGED;
    config.spacing = grid ? 0 : spacing;
    model.t_end = t_end;
    model.self_absorption = ssa ? BML_SSC_SSA_HEATING : BML_SSC_SSA_OFF;
    model.pair_production = gg;
    threads = threads_or_all(threads);
    bml_ssc_blob **blobs;
    blobs = calloc((size_t)threads, sizeof *blobs);
    bml_ssc *tables;
    char why[BML_SSC_MESSAGE];
    if (!c || !blobs) fail("ssc_sed: out of memory");
    if (bml_ssc_create(&tables, &config, why)) fail("ssc_sed: %s", why);
    for (int i = 0; i < threads; i++)
        if (bml_ssc_blob_create(&blobs[i], tables, why)) fail("ssc_sed: %s", why);
    for (int i = 0; i < N_X; i++)
        log10_x[i] = -15 + 25.0 * i / (N_X - 1);

    char *text;
    do {
        text = text_line(&in);
        if (text && *trim(text) && *trim(text) != '#') {
            text = trim(text);
            if (in.line == 1 && !strncmp(text, "log10_R", 7)) continue; /* column names */
            started = 1;
            if (read_row(c->row[c->n], &in, text, err)) {
                fprintf(stderr, "%s\n", err);
                bad++;
            } else
                c->line[c->n++] = in.line;
        }
        if (c->n == CHUNK || (!text && c->n)) {
            if (header) {
                write_header(log10_x);
                header = 0;
            }
            solve(c, blobs, &model, log10_x, (int)threads);
            bad += write_rows(c, in.name);
            c->n = 0;
        }
    } while (text);
    if (!started) fail("%s: no rows", in.name);
    if (fflush(stdout) || ferror(stdout)) fail("ssc_sed: cannot write: %s", strerror(errno));
    for (int i = 0; i < threads; i++)
        bml_ssc_blob_free(blobs[i]);
    bml_ssc_free(tables);
    text_close(&in);
    free(blobs);
    free(c);
    return bad ? 1 : 0;
}
