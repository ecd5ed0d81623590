/* hello_fermi.c: active galaxies and pulsars of a Fermi-LAT catalogue (4FGL as CSV, or FITS with cfitsio) told apart: how
   many there are, and the cross-validated AUC. In a folder with this file, bml_classify.h and bml_nn.h:
       cc -std=c99 -O2 hello_fermi.c -o hello_fermi -lm
       ./hello_fermi 4fgl.csv */
#include <stdio.h>
#define BML_CLASSIFY_IMPLEMENTATION
#include "bml_classify.h"

int main(int argc, char **argv) {
    const char *label[3] = {"bll", "fsrq", "psr"};
    bml_classify_table *table = NULL;
    bml_classify_catalog *catalog = NULL;
    bml_classify_data *data = NULL;
    bml_classify_features features = {
        .task = BML_CLASSIFY_AGN_PSR,
        .kinds = BML_CLASSIFY_LOG,
    };
    bml_classify_config config = {.model = BML_CLASSIFY_FOREST};
    bml_classify_scores scores;
    char why[BML_CLASSIFY_MESSAGE];
    if (argc != 2) return fprintf(stderr, "usage: hello_fermi CATALOGUE\n"), 1;
    int status = bml_classify_table_read(&table, argv[1], why);
    if (!status) status = bml_classify_catalog_create(&catalog, table, why);
    for (int k = 0; k < 3 && !status; k++) {
        int n = 0;
        for (int i = 0; i < catalog->n; i++)
            n += catalog->kind[i] == bml_classify_kind(label[k]);
        printf("%-5s %5d of %d sources\n", label[k], n, catalog->n);
    }
    if (!status) status = bml_classify_data_from_catalog(&data, catalog, &features, why);
    if (!status) status = bml_classify_cross_validate(&scores, NULL, &config, data, 5, why);
    if (status)
        fprintf(stderr, "%s: %s\n", bml_classify_strerror(status), why);
    else
        printf("active galaxies against pulsars: AUC %.4f +- %.4f\n", scores.auc, scores.auc_error);
    bml_classify_data_free(data);
    bml_classify_catalog_free(catalog);
    bml_classify_table_free(table);
    return status != 0;
}
