/* Lesson 25: a fast electron throws all light forwards. Exact collisions, and the head-on approximation of most codes.
   cc -std=c99 -O2 -I. examples/lessons/25_headlight.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

enum { PHOTONS = 200000 };
static const double forwards[3] = {0, 0, 1};
static const float eps0 = 1e-5f; /* of the photons before [m_e c^2] */
static bml_sample_thermal_nodes nodes;
static bml_sample_rng rng;
static double angle[PHOTONS]; /* times gamma */

static float uniform(void) {
    return (float)bml_sample_rng_uniform(&rng);
}

/* A photon from anywhere, taken as often as the electron meets it. */
static void exact(double *out, double gamma) {
    const double beta = sqrt(1 - 1 / (gamma * gamma));
    double photon[3];
    double met;
    do {
        bml_sample_isotropic(photon, bml_sample_rng_uniform(&rng), bml_sample_rng_uniform(&rng));
        met = 1 - beta * photon[2]; /* a photon that comes from the front is met twice as often as one from the side */
        met *= bml_sample_klein_nishina_fast(gamma * (double)eps0 * met);
    } while (2 * bml_sample_rng_uniform(&rng) > met);
    bml_sample_collision collision = {.gamma = gamma, .electron = forwards, .eps0 = (double)eps0, .photon = photon};
    bml_sample_scattered after;
    bml_sample_scatter_at(&after, &collision, uniform(), uniform(), &nodes);
    memcpy(out, after.out, sizeof after.out);
}

/* As if all photons came from the front: Jones (1968). */
static void head_on(double *out, double gamma) {
    bml_sample_event event = {.gamma = gamma, .eps0 = (double)eps0};
    event.eps = (double)bml_sample_compton_energy((float)gamma, eps0, uniform(), NULL);
    must(bml_sample_compton_direction(out, forwards, &event, &rng));
}

int main(void) {
    const double gamma[3] = {2, 5, 50};
    bml_sample_rng_init(&rng, 1, 0);
    must(bml_sample_thermal_table(&nodes));
    picture("25_headlight", 1, 1);
    panel("{/Symbol q g}, {/Symbol q} the angle to the electron [rad]", "photons, density in {/Symbol q g}");
    set("xrange [0:5]");
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < PHOTONS; i++) {
            double out[3];
            if (k < 3)
                exact(out, gamma[k]);
            else
                head_on(out, gamma[2]);
            angle[i] = gamma[k < 3 ? k : 2] * atan2(hypot(out[0], out[1]), out[2]);
        }
        char name[60];
        snprintf(name, sizeof name, k < 3 ? "exact, {/Symbol g} = %g" : "head-on, {/Symbol g} = %g",
                 gamma[k < 3 ? k : 2]);
        curve(k < 3 ? LINE : POINTS, name);
        density(angle, PHOTONS, 1, 0, 5, 50);
    }
    show();
    return 0;
}
