/* Lesson 24: an electron cools photon by photon: smoothly in soft light, by leaps in hard light.
   cc -std=c99 -O2 -I. examples/lessons/24_leaps.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

enum { ELECTRONS = 6 };

int main(void) {
    const float eps0[2] = {1e-7f, 1e-3f}; /* photon energies [m_e c^2] */
    const double first[2] = {0, 0.01};    /* times that are drawn */
    const double last[2] = {1, 1000};
    picture("24_leaps", 1, 2);
    for (int k = 0; k < 2; k++) {
        const double loss = 4.0 / 3 * (double)eps0[k]; /* d gamma/dt = -loss gamma^2 in Thomson scattering */
        const double unit = 1 / (loss * 1e4);          /* time to lose half, from gamma = 1e4 */
        panel("time [Thomson cooling time]", "Lorentz factor {/Symbol g}");
        set("title '{/Symbol g}{/Symbol e}_0 = %g at first'", 1e4 * (double)eps0[k]);
        set("xrange [%g:%g]", first[k], last[k]);
        set("yrange [0:1.5e4]");
        if (k) set("logscale x");
        for (int electron = 0; electron < ELECTRONS; electron++) {
            bml_sample_rng rng;
            bml_sample_rng_init(&rng, 1, (uint64_t)electron);
            float gamma = 1e4f;
            double time = 0;
            curve(THIN, electron ? "" : "single electrons");
            while (time < last[k]) {
                double wait = -log(bml_sample_rng_uniform(&rng)) / (double)bml_sample_compton_rate(gamma, eps0[k]);
                float rest; /* what is left of the electron's energy, as a share */
                point(fmax(time, first[k]), gamma);
                time += wait / unit;
                point(time, gamma);
                bml_sample_compton_step(&rest, gamma, eps0[k], (float)bml_sample_rng_uniform(&rng), NULL);
                gamma = gamma * rest + eps0[k];
            }
        }
        curve(LINE, "Thomson, on average");
        for (int i = 0; i <= 100; i++) {
            double t = k ? first[1] * pow(last[1] / first[1], 0.01 * i) : 0.01 * i;
            point(t, 1e4 / (1 + t));
        }
    }
    show();
    return 0;
}
