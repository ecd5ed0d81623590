/* hadrons.h: --protons: the source with protons beside its electrons, and the neutrinos that were seen of it.
   Included by model.h. Public domain or MIT, see LICENSE. */
#ifndef FIT_SED_HADRONS_H
#define FIT_SED_HADRONS_H

/* Tables, a blob of protons for each thread, and the telescope of --area. */
typedef struct hadrons {
    bml_hadron *tables;
    bml_hadron_blob **blob; /* [threads] */
    hadron_area *telescope;
    bml_hadron_area area;
    float domain[2][PROTON_ROW]; /* of --model */
    int net_ssa;
} hadrons;

static void hadrons_close(hadrons *h, int threads) {
    for (int i = 0; h->blob && i < threads; i++)
        bml_hadron_blob_free(h->blob[i]);
    bml_hadron_free(h->tables);
    free(h->blob);
    free(h->telescope);
}

/* What does not go with protons; and pairs do. */
static void hadrons_check(options *opt) {
    if (!opt->protons && (opt->neutrinos >= 0 || opt->area)) {
        fail("fit_sed: --neutrinos and --area need --protons");
    }
    if (!opt->protons) {
        return;
    }
    if (opt->model && (!opt->reweigh || opt->neutrinos >= 0 || opt->model_error || opt->outside)) {
        fail("fit_sed: --protons with --model needs --reweigh, and goes without --neutrinos, --model-error, --outside");
    }
    if (opt->model && (opt->sampler == SAMPLER_NUTS || opt->fields || opt->shines || opt->electrons)) {
        fail("fit_sed: --protons with --model: no --sampler nuts, --field, --thermal or --electrons");
    }
    if (opt->device) {
        fail("fit_sed: --protons needs the solver of the processor, not --device cuda");
    }
    if (opt->grid) {
        fail("fit_sed: --protons needs --grid converged");
    }
    if ((opt->neutrinos >= 0) != (opt->area != NULL) || (opt->area && !(opt->exposure > 0))) {
        fail("fit_sed: --neutrinos, --area and --exposure go together");
    }
    opt->pairs = 1;
}

static void hadrons_open(hadrons *h, const options *opt, int threads) {
    char why[BML_HADRON_MESSAGE] = "out of memory";
    if (!opt->protons) {
        return;
    }
    h->blob = calloc((size_t)threads, sizeof(bml_hadron_blob *));
    int bad = !h->blob || bml_hadron_create(&h->tables, NULL, why);
    for (int i = 0; i < threads && !bad; i++)
        bad = bml_hadron_blob_create(&h->blob[i], h->tables, why);
    if (bad) {
        fail("fit_sed: %s", why);
    }
    if (!opt->area) {
        return;
    }
    char err[ERROR_SIZE];
    h->telescope = calloc(1, sizeof *h->telescope);
    if (!h->telescope) {
        fail("fit_sed: out of memory");
    }
    if (hadron_area_read(h->telescope, opt->area, err)) {
        fail("%s", err);
    }
    h->area = (bml_hadron_area){h->telescope->log10_GeV, h->telescope->cm2, h->telescope->n};
}
#endif
