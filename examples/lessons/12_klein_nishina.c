/* Lesson 12: from Thomson to Klein-Nishina: an electron that meets harder photons meets fewer, and hands over all it has.
   cc -std=c99 -O2 -I. examples/lessons/12_klein_nishina.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

int main(void) {
    const double gamma = 1e4;
    const double seen[3] = {1e-3, 1, 100}; /* photon energy that the electron sees, gamma eps0 [m_e c^2] */
    picture("12_klein_nishina", 1, 2);
    panel("photon seen, {/Symbol g}{/Symbol e}_0 [m_e c^2]", "share of Thomson's value");
    set("logscale xy");
    set("format '10^{%%L}'");
    set("xtics 1e-4,100");
    set("yrange [1e-6:1e4]");
    curve(LINE, "cross section at rest");
    for (double x = 1e-4; x < 1e4; x *= 1.2)
        point(x, bml_sample_klein_nishina(x));
    curve(LINE, "scatterings per second");
    for (double x = 1e-4; x < 1e4; x *= 1.2)
        point(x, bml_sample_compton_rate((float)gamma, (float)(x / gamma)));
    curve(LINE, "energy lost per second");
    for (double x = 1e-4; x < 1e4; x *= 1.2) {
        bml_sample_rates rates;
        must(bml_sample_compton_rates(&rates, 4 * x));
        point(x, rates.loss / (4 * x / 3));
    }

    panel("scattered energy / electron energy", "{/Symbol e} dN/d{/Symbol e}");
    set("logscale xy");
    set("format '10^{%%L}'");
    set("xtics 1e-6,100");
    set("xrange [1e-6:3]");
    set("yrange [1e-4:30]");
    set("key top left");
    for (int k = 0; k < 3; k++) {
        const double eps0 = seen[k] / gamma;
        char name[60];
        snprintf(name, sizeof name, "{/Symbol g}{/Symbol e}_0 = %g", seen[k]);
        curve(LINE, name);
        for (double share = 1e-6; share < 1; share += fmin(0.02 * share, 0.05 * (1 - share) + 1e-6)) {
            double pdf;
            must(bml_sample_compton_pdf(&pdf, share * gamma, gamma, eps0));
            if (pdf > 0) point(share, share * gamma * pdf);
        }
    }
    show();
    return 0;
}
