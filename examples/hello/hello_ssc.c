/* hello_ssc.c: the spectrum of a blazar, as a table of log10 frequency [Hz] and nu F_nu [erg/cm2/s].
   In a folder with this file and bml_ssc.h:
       cc -std=c99 -O3 hello_ssc.c -o hello_ssc -lm
       ./hello_ssc | gnuplot -p -e 'set logscale y; plot [][1e-14:1e-10] "-" with lines' */
#include <math.h>
#include <stdio.h>
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"

int main(void) {
    bml_ssc_source source = {
        .R = 1e16,        /* radius [cm] */
        .B = 0.1,         /* magnetic field [G] */
        .gamma_min = 1e3, /* electrons are injected from here */
        .gamma_max = 1e6, /* to here */
        .L_e = 1e42,      /* with this power [erg/s] */
        .p = 2.2,         /* as gamma^-p */
    };
    bml_ssc_observer observer = {
        .redshift = 0.1, .delta = 20, /* Doppler factor */
    };
    bml_ssc *tables = NULL;
    bml_ssc_blob *blob = NULL;
    char why[BML_SSC_MESSAGE];
    double nu[161];
    double total[161];

    for (int i = 0; i < 161; i++)
        nu[i] = pow(10, 10 + 0.1 * i);
    int status = bml_ssc_create(&tables, NULL, why);
    if (!status) status = bml_ssc_blob_create(&blob, tables, why);
    if (!status) status = bml_ssc_solve(blob, &source); /* try .B = 0: the message names the member and its range */
    if (!status) status = bml_ssc_sed(total, nu, 161, blob, &observer, BML_SSC_TOTAL);
    if (status) fprintf(stderr, "hello_ssc: %s. %s\n", bml_ssc_strerror(status), blob ? bml_ssc_message(blob) : why);
    for (int i = 0; i < 161 && !status; i++)
        printf("%.1f %.4e\n", log10(nu[i]), total[i]);
    bml_ssc_blob_free(blob);
    bml_ssc_free(tables);
    return status != 0;
}
