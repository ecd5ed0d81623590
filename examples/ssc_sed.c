/* ssc_sed: parameter rows in, spectra out.

     echo 16,-1,3,6,-4,2.2 | ssc_sed
     echo 16,-1,3,6,-4,2.2 | ssc_sed --units nuFnu --redshift 0.1 --delta 20 --ebl dominguez2011 --picture sed

   Each input row holds the six parameters of bml_ssc_source_from_row; each output row repeats them and adds 500 values:
   log10(x^2 n) in the blob at log10 x = -15 ... 10, x = h nu/(m_e c^2), where "no photons" is -30; or, with --units
   nuFnu, log10 of nu F_nu [erg cm^-2 s^-1] at the observer at log10 nu = 8 ... 28 [Hz], where none is -60. */
#include "common.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#include "ebl.h"

enum { N_PAR = 6, N_X = 500, CHUNK = 256, DRAWN = 20 };

typedef struct settings {
    bml_ssc_source model;
    bml_ssc_observer observer;
    int observed;   /* --units nuFnu */
    double at[N_X]; /* log10 x, or log10 nu */
    double nu[N_X];
    int known; /* points that the table of the background light reaches */
    double floor_y;
    int threads;
} settings;

typedef struct picture { /* the first rows, kept for it */
    double y[DRAWN][N_X];
    int n;
} picture;

typedef struct chunk { /* rows read, not yet written */
    double row[CHUNK][N_PAR], y[CHUNK][N_X];
    long line[CHUNK];
    int status[CHUNK], n;
    char why[CHUNK][BML_SSC_MESSAGE];
} chunk;

/* Plain values in columns of logarithms: 1e16 cm for 16. None of the first five logarithms lies beyond 30. */
static int check_logarithms(const double *row, const text_file *t, char *err) {
    static const char *const names[] = {"log10 R [cm]", "log10 B [G]", "log10 gamma_min", "log10 gamma_max",
                                        "log10 compactness"};
    static const double most[] = {22, 6, 10, 10, 3};
    for (int i = 0; i < N_PAR - 1; i++)
        if (fabs(row[i]) > 30) {
            return error_at(err, t->name, t->line,
                            "column %d: %g is no %s (at most %g): a plain value where its logarithm belongs", i + 1,
                            row[i], names[i], most[i]);
        }
    return 0;
}

/* One row of text into row [6]. More columns than six are the spectrum that an earlier run wrote. Complains in err. */
static int read_row(double *row, const text_file *t, char *text, char *err) {
    char *field[N_PAR + N_X + 1];
    int n = split(field, N_PAR + N_X + 1, text, ',');
    if (n != N_PAR && n != N_PAR + N_X) {
        return error_at(err, t->name, t->line,
                        "%d columns, expected %d: log10 R, log10 B, log10 gamma_min, "
                        "log10 gamma_max, log10 compactness, p",
                        n, N_PAR);
    }
    for (int i = 0; i < N_PAR; i++) {
        const char *wrong = read_real(&row[i], field[i]);
        if (wrong) {
            return error_at(err, t->name, t->line, "column %d: '%.40s' %s", i + 1, field[i], wrong);
        }
    }
    return check_logarithms(row, t, err);
}

static void solve_row(chunk *c, int i, bml_ssc_blob *blob, const settings *set) {
    bml_ssc_source source = set->model;
    double *y = c->y[i];
    bml_ssc_source_from_row(&source, c->row[i]);
    c->status[i] = bml_ssc_solve(blob, &source);
    if (c->status[i]) {
        snprintf(c->why[i], sizeof c->why[i], "%s", bml_ssc_message(blob));
        return;
    }
    if (set->observed) {
        c->status[i] = bml_ssc_sed(y, set->nu, set->known, blob, &set->observer, BML_SSC_TOTAL);
    } else {
        c->status[i] = bml_ssc_spectrum(y, set->at, N_X, blob, BML_SSC_TOTAL);
    }
    if (c->status[i]) {
        snprintf(c->why[i], sizeof c->why[i], "%s", bml_ssc_strerror(c->status[i]));
    }
    for (int k = 0; k < N_X; k++) {
        if (set->observed) {
            y[k] = k < set->known ? log10(y[k]) : set->floor_y;
        }
        if (!(y[k] > set->floor_y)) {
            y[k] = set->floor_y;
        }
    }
}

static void solve(chunk *c, bml_ssc_blob **blobs, const settings *set) {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(set->threads)
#endif
    for (int i = 0; i < c->n; i++)
        solve_row(c, i, blobs[thread_number()], set);
}

/* Writes the rows that worked, complains about the others; returns how many failed. */
static int write_rows(const chunk *c, const char *name, picture *pic) {
    int bad = 0;
    for (int i = 0; i < c->n; i++) {
        if (c->status[i]) {
            fprintf(stderr, "%s:%ld: %s\n", name, c->line[i], c->why[i]);
            bad++;
            continue;
        }
        if (pic->n < DRAWN) {
            memcpy(pic->y[pic->n++], c->y[i], sizeof c->y[i]);
        }
        for (int k = 0; k < N_PAR; k++)
            printf("%.10g,", c->row[i][k]);
        for (int k = 0; k < N_X; k++)
            printf("%.5f%c", c->y[i][k], k + 1 < N_X ? ',' : '\n');
    }
    return bad;
}

static void write_header(const settings *set) {
    printf("log10_R_cm,log10_B_G,log10_gamma_min,log10_gamma_max,log10_compactness,p");
    for (int k = 0; k < N_X; k++)
        printf(",%s_%.4f", set->observed ? "log10_nuFnu" : "y", set->at[k]);
    printf("\n");
}

/* NAME.gp and NAME.png: the first rows, eight decades below the highest. */
static void draw(const picture *pic, const settings *set, const char *name) {
    char err[ERROR_SIZE];
    char dir[PATH_SIZE] = ".";
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    out_file o;
    double top = set->floor_y;
    if (slash) {
        snprintf(dir, sizeof dir, "%.*s", (int)(slash - name), name);
    }
    for (int i = 0; i < pic->n; i++)
        for (int k = 0; k < N_X; k++)
            top = fmax(top, pic->y[i][k]);
    if (plot_begin(&o, dir, base, 1000, 700, 14, err)) {
        fail("%s", err);
    }
    fprintf(o.f, "set xlabel '%s'\nset ylabel '%s'\n",
            set->observed ? "log_{10} {/Symbol n} [Hz]" : "log_{10} h{/Symbol n}/(m_e c^2)",
            set->observed ? "log_{10} {/Symbol n}F_{/Symbol n} [erg cm^{-2} s^{-1}]" : "log_{10} x^2 n");
    fprintf(o.f, "set yrange [%.1f:%.1f]\nset key off\nset grid\n$sed << END\n", top - 8, top + 0.5);
    for (int k = 0; k < N_X; k++) {
        fprintf(o.f, "%.4f", set->at[k]);
        for (int i = 0; i < pic->n; i++)
            fprintf(o.f, " %.4f", pic->y[i][k]);
        fprintf(o.f, "\n");
    }
    fprintf(o.f, "END\nplot");
    for (int i = 0; i < pic->n; i++)
        fprintf(o.f, "%s $sed using 1:%d with lines lw 2 lc rgb '%s'", i ? "," : "", i + 2, plot_colours[i % 7]);
    fprintf(o.f, "\n");
    int drawn = plot_end(&o, dir, base, err);
    if (drawn < 0) {
        fail("%s", err);
    }
    if (drawn > 0) {
        fprintf(stderr, "ssc_sed: no gnuplot: the picture is left as %s.gp\n", name);
    }
}

/* What the options say of the observer; complains and ends when something is missing. */
static void observe(settings *set, ebl_table *ebl, double redshift, double delta, const char *ebl_name) {
    char err[ERROR_SIZE];
    char path[PATH_SIZE];
    for (int i = 0; i < N_X; i++) {
        set->at[i] = set->observed ? 8 + 20.0 * i / (N_X - 1) : -15 + 25.0 * i / (N_X - 1);
        set->nu[i] = pow(10, set->at[i]);
    }
    set->known = N_X;
    set->floor_y = set->observed ? -60 : -30;
    if (!set->observed && (redshift > 0 || delta > 0 || ebl_name)) {
        fail("ssc_sed: --redshift, --delta and --ebl go with --units nuFnu");
    }
    if (!set->observed) {
        return;
    }
    if (!(redshift > 0) || !(delta > 0)) {
        fail("ssc_sed: --units nuFnu needs --redshift and --delta");
    }
    set->observer.redshift = redshift;
    set->observer.delta = delta;
    if (!ebl_name || !strcmp(ebl_name, "none")) {
        return;
    }
    if (ebl_find(path, sizeof path, ebl_name, err)) {
        fail("%s", err);
    }
    if (ebl_read(ebl, path, err)) {
        fail("%s", err);
    }
    set->observer.ebl = &ebl->tau;
    double last = ebl->tau.log10_nu[ebl->tau.n_nu - 1];
    while (set->known > 0 && set->at[set->known - 1] > last)
        set->known--; /* beyond the table nothing comes through */
}

/* Reads rows, solves them CHUNK by CHUNK; returns how many failed. */
static int run(text_file *in, bml_ssc_blob **blobs, const settings *set, int header, picture *pic) {
    char err[ERROR_SIZE];
    int bad = 0;
    int started = 0;
    chunk *c = calloc(1, sizeof *c);
    if (!c) {
        fail("ssc_sed: out of memory");
    }
    char *text;
    do {
        text = text_line(in);
        if (text && *trim(text) && *trim(text) != '#') {
            text = trim(text);
            if (in->line == 1 && !strncmp(text, "log10_R", 7)) {
                continue; /* column names */
            }
            started = 1;
            if (read_row(c->row[c->n], in, text, err)) {
                fprintf(stderr, "%s\n", err);
                bad++;
            } else {
                c->line[c->n++] = in->line;
            }
        }
        if (c->n == CHUNK || (!text && c->n)) {
            if (header) {
                write_header(set);
            }
            header = 0;
            solve(c, blobs, set);
            bad += write_rows(c, in->name, pic);
            c->n = 0;
        }
    } while (text);
    if (!started) {
        fail("%s: no rows", in->name);
    }
    free(c);
    return bad;
}

/* What the options say. */
typedef struct asked {
    int grid;
    int ssa;
    int gg;
    int sphere;
    int header;
    long threads;
    double t_end;
    double spacing;
    double redshift;
    double delta;
    const char *ebl;
    const char *picture;
} asked;

static asked ask = {.header = 1, .t_end = 5, .spacing = 0.1};
static settings set;

static const option_row options[] = {
    {.name = "grid", .choice = &ask.grid, .value = "converged|athena", .help = "energy grid"},
    {.name = "spacing",
     .real = &ask.spacing,
     .min = 0.01,
     .max = 0.25,
     .value = "DEX",
     .help = "spacing of the converged grid"},
    {.name = "t",
     .real = &ask.t_end,
     .min = 0.01,
     .max = 1e5,
     .value = "T",
     .help = "time since injection began [R/c]"},
    {.name = "ssa", .flag = &ask.ssa, .help = "synchrotron self-absorption"},
    {.name = "gg", .flag = &ask.gg, .help = "photon-photon absorption and pair injection"},
    {.name = "escape",
     .choice = &ask.sphere,
     .value = "rate|sphere",
     .help = "photons leave at c/R, or by the mean path of a sphere (agnpy, JetSeT): 0.125 dex in SSC"},
    {.name = "units", .choice = &set.observed, .value = "x2n|nuFnu", .help = "in the blob, or at the observer"},
    {.name = "redshift", .real = &ask.redshift, .min = 0, .max = 100, .value = "Z", .help = "for nuFnu"},
    {.name = "delta", .real = &ask.delta, .min = 0, .max = 1e4, .value = "D", .help = "Doppler factor, for nuFnu"},
    {.name = "ebl",
     .text = &ask.ebl,
     .value = "none|NAME|FILE",
     .help = "background light (dominguez2011, saldana2021), for nuFnu; none: no absorption"},
    {.name = "picture", .text = &ask.picture, .value = "NAME", .help = "draw the first 20 rows: NAME.gp, NAME.png"},
    {.name = "threads", .integer = &ask.threads, .min = 0, .max = 1024, .value = "N", .help = "0: all cores"},
    {.name = "header", .flag = &ask.header, .help = "line of column names first"},
    {0}};

int main(int argc, char **argv) {
    static picture pic;
    char err[ERROR_SIZE];
    char why[BML_SSC_MESSAGE];
    bml_ssc_config config = {0};
    ebl_table ebl = {0};
    int first = options_parse(
        argc, argv, options, "ssc_sed [options] [FILE|-]",
        "Spectra of synchrotron self-Compton sources. Input: CSV rows of log10 R [cm], log10 B [G],\n"
        "log10 gamma_min, log10 gamma_max, log10 compactness, p. Output: the same row and 500 values of\n"
        "log10(x^2 n) at log10 x = -15 ... 10, x = h nu/(m_e c^2), floor -30; or, with --units nuFnu, of\n"
        "log10 nuFnu [erg cm^-2 s^-1] at log10 nu = 8 ... 28 [Hz], floor -60.");
    if (argc - first > 1) {
        fail("ssc_sed: one input file at most, see --help");
    }
    observe(&set, &ebl, ask.redshift, ask.delta, ask.ebl);
    text_file in;
    if (text_open(&in, first < argc ? argv[first] : "-", err)) {
        fail("%s", err);
    }
    config.grid = ask.grid ? BML_SSC_ATHENA : BML_SSC_CONVERGED;
    config.spacing = ask.grid ? 0 : ask.spacing;
    set.model.t_end = ask.t_end;
    set.model.self_absorption = ask.ssa ? BML_SSC_SSA_HEATING : BML_SSC_SSA_OFF;
    set.model.pair_production = ask.gg;
    set.model.photon_escape = ask.sphere ? BML_SSC_SPHERE : BML_SSC_RATE;
    set.threads = threads_or_all(ask.threads);
    bml_ssc_blob **blobs;
    blobs = calloc((size_t)set.threads, sizeof *blobs);
    bml_ssc *tables;
    if (!blobs) {
        fail("ssc_sed: out of memory");
    }
    if (bml_ssc_create(&tables, &config, why)) {
        fail("ssc_sed: %s", why);
    }
    for (int i = 0; i < set.threads; i++)
        if (bml_ssc_blob_create(&blobs[i], tables, why)) {
            fail("ssc_sed: %s", why);
        }
    int bad = run(&in, blobs, &set, ask.header, &pic);
    output_arrived("ssc_sed");
    if (ask.picture && pic.n) {
        draw(&pic, &set, ask.picture);
    }
    for (int i = 0; i < set.threads; i++)
        bml_ssc_blob_free(blobs[i]);
    bml_ssc_free(tables);
    ebl_free(&ebl);
    text_close(&in);
    free(blobs);
    return bad ? 1 : 0;
}
