/* Lesson 23: an electron in a field so strong that single photons take a share of its energy, and make pairs.
   cc -std=c99 -O2 -I. examples/lessons/23_strong_field.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

enum { PHOTONS = 100000 };

int main(void) {
    static bml_sample_qed_nodes nodes;
    static double share[PHOTONS];
    bml_sample_rng rng;
    bml_sample_rng_init(&rng, 1, 0);
    must(bml_sample_qed_table(&nodes));
    picture("23_strong_field", 1, 2);
    panel("quantum parameter {/Symbol c}", "rate [10^{18} s^{-1} / (energy / m_ec^2)]");
    set("logscale xy");
    set("format '10^{%%L}'");
    set("yrange [1e-6:1e6]");
    set("key top left");
    curve(LINE, "photons of an electron");
    for (double chi = 1e-2; chi < 1e4; chi *= 1.2)
        point(chi, 1.041 * (double)bml_sample_emission_rate((float)chi, &nodes));
    curve(LINE, "pairs of a photon");
    for (double chi = 0.1; chi < 1e4; chi *= 1.2)
        point(chi, 1.041 * (double)bml_sample_pair_rate((float)chi, &nodes));

    panel("share of the energy", "density of the share");
    set("xrange [0:1]");
    set("yrange [0:5]");
    const float chi[3] = {0.3f, 3, 30};
    for (int k = 0; k < 3; k++) {
        char name[60];
        for (int i = 0; i < PHOTONS; i++)
            share[i] = (double)bml_sample_emission_energy(chi[k], (float)bml_sample_rng_uniform(&rng), &nodes);
        snprintf(name, sizeof name, "photon, {/Symbol c} = %g", (double)chi[k]);
        curve(LINE, name);
        density(share, PHOTONS, 1, 0, 1, 50);
    }
    for (int i = 0; i < PHOTONS; i++)
        share[i] = (double)bml_sample_pair_energy(3, (float)bml_sample_rng_uniform(&rng), &nodes);
    curve(LINE, "positron of a pair, {/Symbol c} = 3");
    density(share, PHOTONS, 1, 0, 1, 50);
    show();
    return 0;
}
