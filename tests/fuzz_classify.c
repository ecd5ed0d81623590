/* fuzz_classify.c: the CSV reader of bml_classify.h against random input, and what is made of a table that it accepts.
   */
#define BML_CLASSIFY_NO_NN
#define BML_CLASSIFY_IMPLEMENTATION
#include "bml_classify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char why[BML_CLASSIFY_MESSAGE];
    bml_classify_table *table = NULL;
    bml_classify_catalog *catalog = NULL;
    bml_classify_data *rows = NULL;
    if (bml_classify_table_parse(&table, (const char *)data, size, "fuzz", why)) return 0;
    if (!bml_classify_data_from_table(&rows, table, table->column[0].name, why)) bml_classify_data_free(rows);
    if (!bml_classify_catalog_create(&catalog, table, why)) {
        bml_classify_features features = {0, 127, 3};
        int young;
        int fast;
        bml_classify_match_pulsars(&young, &fast, catalog, table, why);
        for (features.task = 0; features.task < 3; features.task++)
            if (!bml_classify_data_from_catalog(&rows, catalog, &features, why)) bml_classify_data_free(rows);
        bml_classify_catalog_free(catalog);
    }
    bml_classify_table_free(table);
    return 0;
}
