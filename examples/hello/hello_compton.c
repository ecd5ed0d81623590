/* hello_compton.c: a million soft photons scattered by electrons, each of its own energy: the arrays of a Monte Carlo code in,
   the energies after scattering out. In a folder with this file and bml_sample.h:
       cc -std=c99 -O3 hello_compton.c -o hello_compton -lm && ./hello_compton */
#include <math.h>
#include <stdio.h>
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

enum { N = 1000000 };
static float lorentz[N]; /* Lorentz factors of the electrons */
static float energy[N];  /* of the photons, after [m_e c^2] */

int main(void) {
    const float eps0 = 1e-9f; /* before [m_e c^2]: one for all */
    bml_sample_photonsf photons = {.n = N, .gamma = lorentz, .eps0 = &eps0, .one_eps0 = 1};
    bml_sample_rng rng;
    bml_sample_rng_init(&rng, 1, 0);
    for (int i = 0; i < N; i++)
        lorentz[i] = (float)(1e4 * exp(0.3 * bml_sample_rng_normal(&rng)));
    int status = bml_sample_comptonf(energy, &photons, &rng);
    if (status) { /* nothing has been written: which photon was refused? */
        size_t i = bml_sample_compton_findf(&photons);
        fprintf(stderr, "hello_compton: %s: photon %zu of %d\n", bml_sample_strerror(status), i, N);
        return 1;
    }
    double mean = 0;
    double square = 0;
    for (int i = 0; i < N; i++) {
        mean += (double)energy[i] / N;
        square += (double)lorentz[i] * (double)lorentz[i] / N;
    }
    printf("mean %.4g m_e c^2; 4/3 <gamma^2> eps0 is %.4g\n", mean, 4.0 / 3 * square * (double)eps0);
    return 0;
}
