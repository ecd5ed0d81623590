/* Lesson 10: a spectrum by its parts, above the electrons that make it. The lower axis is scaled so that an electron
   stands under the synchrotron light that it makes.
   cc -std=c99 -O2 -I. examples/lessons/10_components.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"

enum { POINTS_PER_CURVE = 170 };

int main(void) {
    const bml_ssc_component part[3] = {BML_SSC_TOTAL, BML_SSC_SYNCHROTRON, BML_SSC_COMPTON};
    const char *name[3] = {"total", "synchrotron", "Compton"};
    bml_ssc_source source = {
        .R = 1e16,        /* radius [cm] */
        .B = 0.2,         /* field [G] */
        .gamma_min = 1e3, /* electrons injected from */
        .gamma_max = 1e6, /* to, as */
        .L_e = 1e42,      /* power of the injection [erg/s] */
        .p = 2.2,         /* gamma^-p */
    };
    bml_ssc_observer observer = {.redshift = 0.1, .delta = 20};
    double at[POINTS_PER_CURVE];
    double value[POINTS_PER_CURVE];
    bml_ssc *tables;
    bml_ssc_blob *blob;
    must(bml_ssc_create(&tables, NULL, WHY));
    must(bml_ssc_blob_create(&blob, tables, WHY));
    must(bml_ssc_begin(blob, &source));
    must(bml_ssc_steady(blob, 0)); /* as much comes in as goes out */

    picture("10_components", 2, 1);
    panel("frequency {/Symbol n} [Hz]", "{/Symbol n}F_{/Symbol n} [erg cm^{-2} s^{-1}]");
    set("logscale xy");
    set("format '10^{%%L}'");
    set("lmargin 10");
    set("key bottom right");
    set("xrange [1e11:1e28]");
    set("yrange [1e-15:1e-8]");
    for (int i = 0; i < POINTS_PER_CURVE; i++)
        at[i] = pow(10, 11 + 0.1 * i);
    for (int k = 0; k < 3; k++) {
        must(bml_ssc_sed(value, at, POINTS_PER_CURVE, blob, &observer, part[k]));
        curve(LINE, name[k]);
        for (int i = 0; i < POINTS_PER_CURVE; i++)
            point(at[i], value[i]);
    }

    /* nu = delta/(1+z) 3/2 gamma^2 e B/(2 pi m_e c) */
    const double scale = observer.delta / (1 + observer.redshift) * 1.5 * 2.8e6 * source.B;
    panel("electron energy {/Symbol g} [m_e c^2]", "{/Symbol g}^2 N({/Symbol g}) {/Symbol s}_T R");
    set("logscale xy");
    set("format '10^{%%L}'");
    set("lmargin 10");
    set("xrange [%g:%g]", sqrt(1e11 / scale), sqrt(1e28 / scale));
    set("yrange [1e-9:1e-3]");
    for (int i = 0; i < POINTS_PER_CURVE; i++)
        at[i] = 0.5 * (11 + 0.1 * i - log10(scale));
    must(bml_ssc_electrons(value, at, POINTS_PER_CURVE, blob));
    curve(LINE, "injected from 10^3 to 10^6, cooled");
    for (int i = 0; i < POINTS_PER_CURVE; i++)
        if (value[i] > -10) point(pow(10, at[i]), pow(10, value[i]));
    show();

    bml_ssc_derived d;
    bml_ssc_balance e;
    must(bml_ssc_derive(&d, blob, &observer));
    must(bml_ssc_energy(&e, blob));
    printf("U_e/U_B = %.1f, Compton dominance %.2f\n", d.U_e / d.U_B, d.compton_dominance);
    printf("of the energy injected %.0f %% left as photons, %.0f %% as electrons; lost in the sums: %.1e\n",
           100 * e.escaped_photons / e.injected, 100 * e.escaped_electrons / e.injected, e.residual);
    bml_ssc_blob_free(blob);
    bml_ssc_free(tables);
    return 0;
}
