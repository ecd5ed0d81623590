/* ssc.c: a spectrum and its energy book, on any machine. tests/portable.sh compares what the machines print: digits far
   above rounding, since the C libraries' exp() and log() differ in their last bit. */
#include <stdio.h>
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"

int main(void) {
    bml_ssc_source source = {0};
    source.R = 1e16;
    source.B = 0.1;
    source.gamma_min = 1e3;
    source.gamma_max = 1e6;
    source.L_e = 1e42;
    source.p = 2.2;
    bml_ssc_observer observer = {0};
    observer.redshift = 0.1;
    observer.delta = 20;
    char why[BML_SSC_MESSAGE];
    bml_ssc *tables;
    bml_ssc_blob *blob = NULL;
    int status = bml_ssc_create(&tables, NULL, why);
    if (!status) status = bml_ssc_blob_create(&blob, tables, why);
    if (status) {
        printf("%s\n", why);
        return 1;
    }
    status = bml_ssc_solve(blob, &source);
    double nu[8];
    double nuFnu[8];
    double value = 1e12;
    for (int i = 0; i < 8; i++) {
        nu[i] = value;
        value *= 100;
    }
    if (!status) status = bml_ssc_sed(nuFnu, nu, 8, blob, &observer, BML_SSC_TOTAL);
    printf("status %d\n", status);
    for (int i = 0; i < 8 && !status; i++)
        printf("nu %.0e nuFnu %.3e\n", nu[i], nuFnu[i]); /* Compton sums are in single precision: 1e-6 */
    bml_ssc_blob_free(blob);
    bml_ssc_free(tables);
    return status != 0;
}
