/* hello_hadron.c: pi0 photons and neutrinos of protons in a power law of photons: log10 of energy [m_e c^2] and of E^2 Q.
   In a folder with this file and bml_hadron.h:
       cc -std=c99 -O2 hello_hadron.c -o hello_hadron -lm
       ./hello_hadron | gnuplot -p -e 'plot "-" using 1:2 with lines' */
#define BML_HADRON_IMPLEMENTATION
#include "bml_hadron.h"
#include <stdio.h>

int main(void) {
    bml_hadron *tables = NULL;
    bml_hadron_blob *blob = NULL;
    char why[BML_HADRON_MESSAGE];
    double gamma[2] = {1, 1e9}; /* protons: 1 cm^-3 gamma^-2 */
    double N[2] = {1, 1e-18};
    double x[2] = {1e-6, 1e-1}; /* photons: 1000 cm^-3 x^-2 */
    double n[2] = {1e15, 1e5};
    bml_hadron_given given = {
        .gamma = gamma,
        .N = N,
        .n_gamma = 2,
        .x = x,
        .n = n,
        .n_x = 2,
    };
    double log_E[80];
    double photons[80];
    double neutrinos[80];

    for (int i = 0; i < 80; i++)
        log_E[i] = 5 + 0.1 * i;
    int status = bml_hadron_create(&tables, NULL, why);
    if (!status) status = bml_hadron_blob_create(&blob, tables, why);
    if (status) return fprintf(stderr, "hello_hadron: %s\n", why), 1;
    status = bml_hadron_rates(blob, &given);
    if (!status) status = bml_hadron_spectrum(photons, log_E, 80, blob, BML_HADRON_GAMMA);
    if (!status) status = bml_hadron_spectrum(neutrinos, log_E, 80, blob, BML_HADRON_NEUTRINOS);
    if (status) fprintf(stderr, "hello_hadron: %s\n", bml_hadron_strerror(status));
    for (int i = 0; i < 80 && !status; i++)
        printf("%.1f %.3f %.3f\n", log_E[i], photons[i], neutrinos[i]);
    bml_hadron_blob_free(blob);
    bml_hadron_free(tables);
    return status != 0;
}
