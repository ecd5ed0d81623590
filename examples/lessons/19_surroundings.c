/* Lesson 19: where in the jet is the blob? Outside it stand disc, broad lines and torus: what it sees of them, what we see.
   cc -std=c99 -O2 -I. examples/lessons/19_surroundings.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"

enum { FREQUENCIES = 180 };
static double nu[FREQUENCIES];
static double nuFnu[FREQUENCIES];

int main(void) {
    bml_ssc_external lines = {.kind = BML_SSC_FIELD_SHELL, .L_disc = 1e46, .fraction = 0.1, .radius = 3e17};
    bml_ssc_external torus = {.kind = BML_SSC_FIELD_RING, .L_disc = 1e46, .fraction = 0.3, .radius = 6e18};
    bml_ssc_external disc = {.kind = BML_SSC_FIELD_DISC, .L_disc = 1e46, .M_bh = 1e9};
    torus.temperature = 1000;
    const bml_ssc_external field[3] = {disc, lines, torus};
    const char *name[3] = {"disc", "broad lines", "torus"};
    bml_ssc_observer observer = {.redshift = 0.5, .delta = 15};

    picture("19_surroundings", 1, 2);
    panel("distance from the black hole [cm]", "energy density in the blob [erg cm^{-3}]");
    set("logscale xy");
    set("format '10^{%%L}'");
    set("yrange [1e-6:1e3]");
    for (int k = 0; k < 3; k++) {
        curve(LINE, name[k]);
        for (double distance = 1e16; distance < 1e20; distance *= 1.1) {
            double u;
            must(bml_ssc_field_energy(&u, &field[k], distance, 15, WHY)); /* it moves with Gamma = 15 */
            point(distance, u);
        }
    }

    bml_ssc *tables;
    bml_ssc_blob *blob;
    must(bml_ssc_create(&tables, NULL, WHY));
    must(bml_ssc_blob_create(&blob, tables, WHY));
    bml_ssc_source source = {
        .R = 2e16,        /* radius [cm] */
        .B = 1,           /* field [G] */
        .gamma_min = 10,  /* electrons injected from */
        .gamma_max = 2e4, /* to, as */
        .L_e = 5e42,      /* power of the injection [erg/s] */
        .p = 2.2,         /* gamma^-p */
    };
    source.external = field;
    source.n_external = 3;
    source.distance = 2e17; /* inside the broad-line region */
    source.Gamma = 15;
    must(bml_ssc_solve(blob, &source));
    for (int i = 0; i < FREQUENCIES; i++)
        nu[i] = pow(10, 10 + 0.1 * i);

    panel("frequency {/Symbol n} [Hz]", "{/Symbol n}F_{/Symbol n} [erg cm^{-2} s^{-1}]");
    set("logscale xy");
    set("format '10^{%%L}'");
    set("xtics 1e10,1e4");
    set("xrange [1e10:1e28]");
    set("yrange [1e-15:3e-8]");
    for (int k = 0; k < 3; k += 2) {
        must(bml_ssc_thermal_sed(nuFnu, nu, FREQUENCIES, &field[k], &observer, WHY));
        curve(LINE, name[k]);
        points(nu, nuFnu, FREQUENCIES);
        skip_style();
    }
    must(bml_ssc_host_sed(nuFnu, nu, FREQUENCIES, 1e45, &observer));
    curve(LINE, "host galaxy");
    points(nu, nuFnu, FREQUENCIES);

    double depth[FREQUENCIES]; /* of the light of disc, lines and torus for gamma rays on their way out */
    bml_ssc_path path = {.fields = field, .n_fields = 3, .distance = source.distance, .redshift = 0.5};
    must(bml_ssc_field_depth(depth, nu, FREQUENCIES, &path, WHY));
    must(bml_ssc_sed(nuFnu, nu, FREQUENCIES, blob, &observer, BML_SSC_TOTAL));
    for (int i = 0; i < FREQUENCIES; i++)
        nuFnu[i] *= exp(-depth[i]);
    curve(LINE, "jet");
    points(nu, nuFnu, FREQUENCIES);
    show();
    bml_ssc_blob_free(blob);
    bml_ssc_free(tables);
    return 0;
}
