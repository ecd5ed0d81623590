/* Lesson 21: light becomes polarised when it is scattered, and less so when it is hard.
   cc -std=c99 -O2 -I. examples/lessons/21_polarisation.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

enum { PHOTONS = 200000, BINS = 18 };

/* Degree of polarisation of unpolarised light of energy x after scattering by an angle (Klein & Nishina 1929). */
static double formula(double x, double degrees) {
    double angle = degrees * 3.14159265 / 180;
    double ratio = 1 / (1 + x * (1 - cos(angle)));
    double sine = sin(angle);
    return sine * sine / (ratio + 1 / ratio - sine * sine);
}

int main(void) {
    const double along[3] = {0, 0, 1};
    const double energy[3] = {1e-3, 0.5, 5};
    const char *name[3] = {"0.5 keV", "256 keV", "2.6 MeV"};
    bml_sample_rng rng;
    bml_sample_rng_init(&rng, 1, 0);
    picture("21_polarisation", 1, 1);
    panel("scattering angle [degrees]", "degree of linear polarisation");
    set("xrange [0:180]");
    set("xtics 30");
    set("yrange [-0.05:1.6]");
    for (int k = 0; k < 3; k++) {
        double sum[BINS] = {0};
        double count[BINS] = {0};
        bml_sample_collision collision = {
            .gamma = 1,
            .electron = along,
            .photon = along,
            .eps0 = energy[k],
        };
        for (int i = 0; i < PHOTONS; i++) {
            bml_sample_scattered after;
            bml_sample_stokes stokes = {.q = 0, .axis = {1, 0, 0}}; /* unpolarised */
            must(bml_sample_scatter_stokes(&after, &stokes, &collision, &rng));
            int bin = (int)(acos(after.out[2]) / 3.14159266 * BINS);
            sum[bin] += hypot(stokes.q, stokes.u);
            count[bin]++;
        }
        curve(POINTS, name[k]);
        for (int bin = 0; bin < BINS; bin++)
            point(180 * (bin + 0.5) / BINS, sum[bin] / count[bin]);
    }
    for (int k = 0; k < 4; k++) /* each line in the colour of its points */
        skip_style();
    for (int k = 0; k < 3; k++) {
        curve(THIN, k == 0 ? "Klein and Nishina's formula" : "");
        for (double degrees = 0; degrees <= 180; degrees += 2)
            point(degrees, formula(energy[k], degrees));
    }
    show();
    return 0;
}
