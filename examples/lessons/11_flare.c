/* Lesson 11: a flare. Injection rises and falls; bands follow one after another, and flux against slope draws a loop.
   cc -std=c99 -O2 -I. examples/lessons/11_flare.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"

enum { TIMES = 600, BANDS = 3 };

/* Five times more electrons for a while, around t = 40 R/c. */
static void pulse(bml_ssc_drive *now, double t, void *user) {
    (void)user;
    now->injection = 1 + 4 * exp(-0.5 * (t - 40) * (t - 40));
}

int main(void) {
    const char *name[BANDS] = {"X-rays, 10 keV", "optical, 2 eV", "gamma rays, 1 TeV"};
    const double nu[4] = {2.4e18, 5e14, 2.4e26, 2.4e17}; /* and 1 keV, for the slope */
    static double flux[TIMES][4];
    bml_ssc_source source = {
        .R = 1e16,        /* radius [cm] */
        .B = 0.06,        /* field [G] */
        .gamma_min = 100, /* electrons injected from */
        .gamma_max = 1e6, /* to, as */
        .L_e = 3e41,      /* power of the injection [erg/s] */
        .p = 2.1,         /* gamma^-p */
        .electron_escape = 10,
        .drive = pulse,
    };
    bml_ssc_observer observer = {
        .redshift = 0.05, .delta = 20, /* Doppler factor */
    };
    bml_ssc_config config = {.time_step = 0.02, .light_travel = 1};
    bml_ssc *tables;
    bml_ssc_blob *blob;
    must(bml_ssc_create(&tables, &config, WHY));
    must(bml_ssc_blob_create(&blob, tables, WHY));
    must(bml_ssc_begin(blob, &source));
    for (int i = 0; i < TIMES; i++) {
        must(bml_ssc_advance(blob, 0.1 * (i + 1)));
        must(bml_ssc_sed(flux[i], nu, 4, blob, &observer, BML_SSC_TOTAL));
    }

    picture("11_flare", 1, 2);
    panel("time [R/c]", "{/Symbol n}F_{/Symbol n}, highest = 1");
    set("xrange [35:60]");
    set("yrange [0:1.6]");
    for (int band = 0; band < BANDS; band++) {
        double highest = 0;
        for (int i = 0; i < TIMES; i++)
            highest = fmax(highest, flux[i][band]);
        curve(LINE, name[band]);
        for (int i = 0; i < TIMES; i++)
            point(0.1 * (i + 1), flux[i][band] / highest);
    }
    panel("flux at 10 keV [10^{-11} erg cm^{-2} s^{-1}]", "slope of {/Symbol n}F_{/Symbol n}, 1 to 10 keV");
    curve(LINE, "rising");
    int top = 0;
    for (int i = 0; i < TIMES; i++)
        if (flux[i][0] > flux[top][0]) top = i;
    for (int i = 350; i <= top; i++)
        point(1e11 * flux[i][0], log10(flux[i][0] / flux[i][3]));
    curve(LINE, "falling");
    for (int i = top; i < TIMES; i++)
        point(1e11 * flux[i][0], log10(flux[i][0] / flux[i][3]));
    show();
    bml_ssc_blob_free(blob);
    bml_ssc_free(tables);
    return 0;
}
