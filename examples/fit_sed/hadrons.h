/* hadrons.h: --protons: the source with protons beside its electrons, and the neutrinos that were seen of it. Included by
   model.h. Public domain or MIT, see LICENSE. */
#ifndef FIT_SED_HADRONS_H
#define FIT_SED_HADRONS_H

/* Tables, a blob of protons for each thread, and the telescope of --area. */
typedef struct hadrons {
    bml_hadron *tables;
    bml_hadron_blob **blob;  /* [threads] */
    double *log10_GeV, *cm2; /* [area.n] */
    bml_hadron_area area;
} hadrons;

static void area_read(hadrons *h, const char *path) {
    enum { MOST = 4096 };
    char err[ERROR_SIZE];
    char *field[3];
    text_file in;
    h->log10_GeV = malloc(MOST * sizeof *h->log10_GeV);
    h->cm2 = malloc(MOST * sizeof *h->cm2);
    if (!h->log10_GeV || !h->cm2) fail("fit_sed: out of memory");
    if (text_open(&in, path, err)) fail("%s", err);
    int n = 0;
    for (char *text = text_line(&in); text; text = text_line(&in)) {
        text = trim(text);
        if (!*text || *text == '#') continue;
        if (split(field, 3, text, ',') != 2 || n == MOST)
            fail("%s:%ld: two columns are expected: log10 E [GeV], area [cm^2] for muon neutrinos", in.name, in.line);
        const char *wrong = read_real(&h->log10_GeV[n], field[0]);
        if (wrong && n == 0 && in.line == 1) continue; /* names of the columns */
        if (!wrong) wrong = read_real(&h->cm2[n], field[1]);
        if (wrong) fail("%s:%ld: %s", in.name, in.line, wrong);
        if (n > 0 && !(h->log10_GeV[n] > h->log10_GeV[n - 1])) fail("%s:%ld: energies must grow", in.name, in.line);
        if (!(h->cm2[n] >= 0)) fail("%s:%ld: an area must not be negative", in.name, in.line);
        n++;
    }
    if (n < 2) fail("%s: two points are needed at least", in.name);
    text_close(&in);
    h->area = (bml_hadron_area){h->log10_GeV, h->cm2, n};
}

static void hadrons_close(hadrons *h, int threads) {
    for (int i = 0; h->blob && i < threads; i++)
        bml_hadron_blob_free(h->blob[i]);
    bml_hadron_free(h->tables);
    free(h->blob);
    free(h->log10_GeV);
    free(h->cm2);
}

/* What does not go with protons; and pairs do. */
static void hadrons_check(options *opt) {
    if (!opt->protons && (opt->neutrinos >= 0 || opt->area)) fail("fit_sed: --neutrinos and --area need --protons");
    if (!opt->protons) return;
    if (opt->model) fail("fit_sed: --protons needs the solver: networks of --model know none");
    if (opt->device) fail("fit_sed: --protons needs the solver of the processor, not --device cuda");
    if (opt->grid) fail("fit_sed: --protons needs --grid converged");
    if ((opt->neutrinos >= 0) != (opt->area != NULL) || (opt->area && !(opt->exposure > 0)))
        fail("fit_sed: --neutrinos, --area and --exposure go together");
    opt->pairs = 1;
}

static void hadrons_open(hadrons *h, const options *opt, int threads) {
    char why[BML_HADRON_MESSAGE] = "out of memory";
    if (!opt->protons) return;
    h->blob = calloc((size_t)threads, sizeof(bml_hadron_blob *));
    int bad = !h->blob || bml_hadron_create(&h->tables, NULL, why);
    for (int i = 0; i < threads && !bad; i++)
        bad = bml_hadron_blob_create(&h->blob[i], h->tables, why);
    if (bad) fail("fit_sed: %s", why);
    if (opt->area) area_read(h, opt->area);
}
#endif
