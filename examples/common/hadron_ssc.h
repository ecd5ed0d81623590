/* hadron_ssc.h: protons of bml_hadron.h beside the electrons and photons of bml_ssc.h: the hook, and a solution that
   takes shorter steps where it has to. Include both headers first.

     bml_ssc_source e = {...};                  the electrons; R and B are taken from it
     bml_hadron_source p = {...};
     const char *why;
     if (hadron_ssc_solve(blob, protons, &e, &p, 0, &why)) ... why ...

   No printing, no exit. Public domain or MIT, see LICENSE. */
#ifndef HADRON_SSC_H
#define HADRON_SSC_H
#include <string.h>

/* bml_ssc_source.exchange, with the bml_hadron_blob as .user. */
static inline int hadron_ssc_hook(bml_ssc_exchange *now, void *user) {
    bml_hadron_field f;
    memset(&f, 0, sizeof f);
    f.t = now->t;
    f.dt = now->dt;
    f.pass = now->pass;
    f.n_electrons = now->n_electrons;
    f.n_photons = now->n_photons;
    f.R = now->R;
    f.B = now->B;
    f.dilution = now->dilution;
    f.gamma = now->gamma;
    f.width = now->width;
    f.x = now->x;
    f.n = now->n;
    f.outside = now->outside;
    f.electrons = now->electrons;
    f.photons = now->photons;
    return bml_hadron_exchange((bml_hadron_blob *)user, &f);
}

/* Make both blobs these sources, at t = 0. spacing [dex]: that of both tables, 0 = 0.1. e and p are completed: R and
   B of p, the hook, the top of the grids, pair production, without which protons have no cascades. Returns a status
   of bml_ssc.h; *why is the message of the side that complains. */
static inline int hadron_ssc_begin(bml_ssc_blob *blob, bml_hadron_blob *protons, bml_ssc_source *e,
                                   bml_hadron_source *p, double spacing, const char **why) {
    p->R = e->R;
    p->B = e->B;
    e->exchange = hadron_ssc_hook;
    e->user = protons;
    e->pair_production = 1;
    *why = "";
    if (bml_hadron_begin(protons, p)) {
        *why = bml_hadron_message(protons);
        return BML_SSC_PARAMETER;
    }
    e->gamma_top = bml_hadron_gamma_top(p->gamma_max, e->gamma_max, spacing);
    int status = bml_ssc_begin(blob, e);
    if (status) *why = bml_ssc_message(blob);
    return status;
}

/* From empty blobs to e->t_end (0 = 5). Where the loop from protons to photons and back runs away within a step, from
   the beginning again with steps of 1/48, 1/192, at last 1/768 R/c. Errors: as bml_ssc_solve. */
static inline int hadron_ssc_solve(bml_ssc_blob *blob, bml_hadron_blob *protons, bml_ssc_source *e,
                                   bml_hadron_source *p, double spacing, const char **why) {
    double t_end = e->t_end > 0 ? e->t_end : 5;
    int status = hadron_ssc_begin(blob, protons, e, p, spacing, why);
    if (status) return status;
    status = bml_ssc_advance(blob, t_end);
    for (int per = 48; status == BML_SSC_NOT_CONVERGED && per <= 768; per *= 4) {
        status = hadron_ssc_begin(blob, protons, e, p, spacing, why);
        for (int i = 1; !status && i < t_end * per; i++)
            status = bml_ssc_advance(blob, (double)i / per);
        if (!status) status = bml_ssc_advance(blob, t_end);
    }
    if (status) *why = bml_hadron_message(protons)[0] ? bml_hadron_message(protons) : bml_ssc_message(blob);
    return status;
}
#endif
