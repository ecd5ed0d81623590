/* Lesson 14: photons of 50 eV in a cloud of electrons at 100 keV, after one, two and ten scatterings.
   cc -std=c99 -O2 -I. examples/lessons/14_hot_cloud.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

enum { PHOTONS = 50000 };

int main(void) {
    static bml_sample_thermal_nodes nodes;
    static double log_energy[PHOTONS]; /* log10 of keV */
    static bml_sample_scattered photon[PHOTONS];
    const bml_sample_medium cloud = {.theta = 0.2f, .nodes = &nodes};
    const double keV = 511; /* m_e c^2 */
    const int shown[3] = {1, 2, 10};
    bml_sample_rng rng;
    bml_sample_rng_init(&rng, 1, 0);
    must(bml_sample_thermal_table(&nodes));
    for (int i = 0; i < PHOTONS; i++) {
        photon[i].eps = 0.05 / keV;
        bml_sample_isotropic(photon[i].out, bml_sample_rng_uniform(&rng), bml_sample_rng_uniform(&rng));
    }
    double gamma = 0;
    for (int i = 0; i < PHOTONS; i++)
        gamma += bml_sample_thermal_gamma(cloud.theta, (float)bml_sample_rng_uniform(&rng), &nodes) / PHOTONS;
    printf("mean Lorentz factor of the electrons: %.2f\n", gamma);
    printf("mean free path of the first photons among 1e12 electrons per cm^3: %.3g cm\n",
           bml_sample_mean_free_path(1e12, cloud.theta, (float)(0.05 / keV), &nodes));

    picture("14_hot_cloud", 1, 1);
    panel("photon energy E [keV]", "photons, dN/dlog_{10}E");
    set("logscale x");
    set("format x '10^{%%L}'");
    set("xrange [1e-3:2e3]");
    set("yrange [0:2.5]");
    int done = 0;
    for (int k = 0; k < 3; k++) {
        for (; done < shown[k]; done++)
            for (int i = 0; i < PHOTONS; i++) {
                bml_sample_scattered after;
                bml_sample_thermal_step(&after, NULL, &cloud, photon[i].eps, photon[i].out, &rng);
                photon[i] = after;
            }
        double mean = 0;
        for (int i = 0; i < PHOTONS; i++)
            mean += photon[i].eps * keV / PHOTONS;
        char name[60];
        snprintf(name, sizeof name, "%d scattering%s, mean %.3g keV", done, done > 1 ? "s" : "", mean);
        for (int i = 0; i < PHOTONS; i++)
            log_energy[i] = log10(photon[i].eps * keV);
        curve(LINE, name);
        density_log(log_energy, PHOTONS, -3, 3, 80);
    }
    show();
    return 0;
}
