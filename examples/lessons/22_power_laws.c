/* Lesson 22: electrons of a power law shine as a power law; hot ones do not. Photons drawn one by one.
   cc -std=c99 -O2 -I. examples/lessons/22_power_laws.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

enum { PHOTONS = 400000 };
static double gamma_of[PHOTONS]; /* Lorentz factors */
static double x[PHOTONS];        /* nu/nu_c, each by its electron's spectrum */
static double log_nu[PHOTONS];   /* in units of the frequency at gamma = 1 */

/* Packets of equal energy: electrons shine as gamma^2, so that each packet's electron is drawn with that weight. */
static void draw_spectrum(const char *name) {
    for (int i = 0; i < PHOTONS; i++)
        log_nu[i] = log10(x[i] * gamma_of[i] * gamma_of[i]);
    curve(LINE, name);
    density_log(log_nu, PHOTONS, 2, 13, 110);
}

int main(void) {
    bml_sample_synchrotron synchrotron;
    bml_sample_rng rng;
    bml_sample_rng_init(&rng, 1, 0);
    must(bml_sample_synchrotron_init(&synchrotron, BML_SAMPLE_ENERGY));
    must(bml_sample_synchrotron_draw(x, NULL, PHOTONS, &synchrotron, &rng));
    picture("22_power_laws", 1, 1);
    panel("frequency / that of {/Symbol g} = 1", "{/Symbol n}L_{/Symbol n} [share of the power]");
    set("logscale xy");
    set("format '10^{%%L}'");
    set("xrange [1e2:1e13]");
    set("yrange [1e-3:30]");
    const double index[2] = {2, 3};
    for (int k = 0; k < 2; k++) {
        bml_sample_power power = {.lower = 100, .upper = 1e6, .index = index[k] - 2}; /* N gamma^2 */
        must(bml_sample_power_law(gamma_of, NULL, PHOTONS, &power, &rng));
        char name[60];
        snprintf(name, sizeof name, "electrons, p = %.0f: slope %.1f", index[k], (3 - index[k]) / 2);
        draw_spectrum(name);
    }
    for (int i = 0; i < PHOTONS;
         i++) /* N gamma^2 of hot electrons is gamma^4 exp(-gamma/theta): a gamma distribution */
        gamma_of[i] = 300 * bml_sample_rng_gamma(&rng, 10);
    draw_spectrum("thermal, kT = 300 m_e c^2");
    show();
    return 0;
}
