/* hadron.c: photons, pairs and neutrinos of protons on a power law of photons, on any machine: log10, to three digits,
   since the C libraries' exp() and log() differ in their last bit. */
#include <stdio.h>
#define BML_HADRON_IMPLEMENTATION
#include "bml_hadron.h"

int main(void) {
    double gamma[2] = {1e4, 1e9};
    double N[2] = {1, 1e-10};
    double x[2] = {1e-6, 1e-1};
    double n[2] = {1e15, 1e5};
    bml_hadron_given given = {0};
    given.gamma = gamma;
    given.N = N;
    given.n_gamma = 2;
    given.x = x;
    given.n = n;
    given.n_x = 2;
    char why[BML_HADRON_MESSAGE];
    bml_hadron *tables;
    bml_hadron_blob *blob = NULL;
    int status = bml_hadron_create(&tables, NULL, why);
    if (!status) status = bml_hadron_blob_create(&blob, tables, why);
    if (status) {
        printf("%s\n", why);
        return 1;
    }
    status = bml_hadron_rates(blob, &given);
    printf("status %d\n", status);
    for (int k = 0; k < 4 && !status; k++) {
        double log_x = 8 + k;
        double y;
        bml_hadron_spectrum(&y, &log_x, 1, blob, BML_HADRON_NEUTRINOS);
        printf("neutrinos at 10^%g: %.3f\n", log_x, y);
    }
    bml_hadron_blob_free(blob);
    bml_hadron_free(tables);
    return status;
}
