/* sample.c: draws from a density, and Compton-scattered photons, on any machine; see ssc.c for the digits. */
#include <math.h>
#include <stdio.h>
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

static void density(double *p, const double *x, const double *z, int n, void *user) {
    (void)z;
    (void)user;
    for (int i = 0; i < n; i++)
        p[i] = exp(-x[i]) * (1 + x[i] * x[i]);
}

int main(void) {
    char why[BML_SAMPLE_MESSAGE];
    bml_sample_table_config config = {0};
    config.density = density;
    config.upper = 8;
    bml_sample_table *table;
    int status = bml_sample_table_create(&table, &config, why);
    if (status) {
        printf("%s\n", why);
        return 1;
    }
    bml_sample_rng rng;
    bml_sample_rng_init(&rng, 7, 0);
    double x[6];
    status = bml_sample_table_draw(table, x, 6, &rng);
    for (int i = 0; i < 6 && !status; i++)
        printf("table %.9f\n", x[i]);
    bml_sample_table_free(table);
    double direction[3] = {0, 0, 1};
    double photon[3] = {0, 1, 0};
    bml_sample_collision collision = {0};
    collision.gamma = 50;
    collision.electron = direction;
    collision.eps0 = 1e-3;
    collision.photon = photon;
    for (int i = 0; i < 4 && !status; i++) {
        double eps;
        double out[3];
        status = bml_sample_scatter(&eps, out, &collision, &rng);
        if (!status) printf("scatter %.8e %.8f\n", eps, out[2]);
    }
    double theta[4];
    if (!status) status = bml_sample_thermal_electrons(theta, 4, 0.3, &rng);
    for (int i = 0; i < 4 && !status; i++)
        printf("thermal %.9f\n", theta[i]);
    if (status) printf("%s\n", bml_sample_strerror(status));
    return status != 0;
}
