/* Lesson 9: the spectrum of a blazar by the knob: radius, field, highest electron energy, Doppler factor.
   cc -std=c99 -O2 -I. examples/lessons/09_knobs.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"

enum { FREQUENCIES = 160 };

int main(void) {
    const char *title[4] = {"radius R", "field B", "highest electron {/Symbol g}_{max}", "Doppler factor {/Symbol d}"};
    const char *turned[3] = {"x 1/2", "x 1", "x 2"};
    double nu[FREQUENCIES];
    double nuFnu[FREQUENCIES];
    bml_ssc *tables;
    bml_ssc_blob *blob;
    must(bml_ssc_create(&tables, NULL, WHY));
    must(bml_ssc_blob_create(&blob, tables, WHY));
    for (int k = 0; k < FREQUENCIES; k++)
        nu[k] = pow(10, 10 + 0.11 * k);

    picture("09_knobs", 2, 2);
    for (int k = 0; k < 4; k++) {
        panel("frequency {/Symbol n} [Hz]", "{/Symbol n}F_{/Symbol n} [erg cm^{-2} s^{-1}]");
        set("title '%s'", title[k]);
        set("logscale xy");
        set("format '10^{%%L}'");
        set("xtics 1e10,1e4");
        set("ytics 1e-14,100");
        set("key top center horizontal samplen 2");
        set("xrange [1e10:1e28]");
        set("yrange [1e-14:1e-7]");
        for (int turn = 0; turn < 3; turn++) {
            const double factor = pow(2, turn - 1);
            bml_ssc_source source = {
                .R = 1e16,        /* radius [cm] */
                .B = 0.1,         /* field [G] */
                .gamma_min = 100, /* electrons injected from */
                .gamma_max = 3e5, /* to, as */
                .L_e = 1e42,      /* power of the injection [erg/s] */
                .p = 2,           /* gamma^-p */
            };
            bml_ssc_observer observer = {.redshift = 0.1, .delta = 15};
            if (k == 0) source.R *= factor;
            if (k == 1) source.B *= factor;
            if (k == 2) source.gamma_max *= factor;
            if (k == 3) observer.delta *= factor;
            must(bml_ssc_solve(blob, &source));
            must(bml_ssc_sed(nuFnu, nu, FREQUENCIES, blob, &observer, BML_SSC_TOTAL));
            curve(LINE, turned[turn]);
            for (int i = 0; i < FREQUENCIES; i++)
                point(nu[i], nuFnu[i]);
        }
    }
    show();
    bml_ssc_blob_free(blob);
    bml_ssc_free(tables);
    return 0;
}
