/* fuzz_classify.c: the table readers of bml_classify.h against random input, and what is made of a table that they accept:
   CSV from memory; with zlib, compressed files too; with cfitsio and BML_FUZZ_FITS, FITS files. cfitsio itself is not proof
   against forged headers (a TFORM that is too long ends the program), so that those are not tried by default. */
#undef BML_CLASSIFY_IMPLEMENTED /* without networks here */
#define BML_CLASSIFY_NO_NN
#define BML_CLASSIFY_IMPLEMENTATION
#include "bml_classify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Everything that can be made of a table. */
static void use_table(const bml_classify_table *table) {
    char why[BML_CLASSIFY_MESSAGE];
    bml_classify_catalog *catalog = NULL;
    bml_classify_data *rows = NULL;
    if (!bml_classify_data_from_table(&rows, table, table->column[0].name, why)) bml_classify_data_free(rows);
    if (bml_classify_catalog_create(&catalog, table, why)) return;
    int young;
    int fast;
    bml_classify_match_pulsars(&young, &fast, catalog, table, why);
    int *match = (int *)malloc((size_t)catalog->n * sizeof *match);
    for (int task = 0; task < 3 && match; task++) {
        bml_classify_features features = {task, BML_CLASSIFY_ALL_FEATURES, 3};
        bml_classify_data *wide = NULL;
        if (bml_classify_data_from_catalog(&rows, catalog, &features, why)) continue;
        if (bml_classify_join(match, catalog, table, 1, why) >= 0)
            if (!bml_classify_data_join(&wide, rows, table, match, why)) bml_classify_data_free(wide);
        bml_classify_data_free(rows);
    }
    free(match);
    bml_classify_catalog_free(catalog);
}

#if defined(BML_CLASSIFY_USE_CFITSIO) || defined(BML_CLASSIFY_USE_ZLIB)
/* What begins like FITS or gzip goes through a file. */
static int read_file(bml_classify_table **table, const uint8_t *data, size_t size) {
    static const char name[] = "build/fuzz_classify.tmp";
    char why[BML_CLASSIFY_MESSAGE];
    FILE *f = fopen(name, "wb");
    if (!f) return -1;
    fwrite(data, 1, size, f);
    fclose(f);
    return bml_classify_table_read(table, name, why);
}

static int is_file(const uint8_t *data, size_t size) {
#ifdef BML_FUZZ_FITS
    if (size > 9 && !memcmp(data, "SIMPLE  =", 9)) return 1;
#endif
    return size > 2 && !memcmp(data, "\x1f\x8b", 2);
}
#else
static int read_file(bml_classify_table **table, const uint8_t *data, size_t size) {
    (void)table;
    (void)data;
    (void)size;
    return -1;
}

static int is_file(const uint8_t *data, size_t size) {
    (void)data;
    (void)size;
    return 0;
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char why[BML_CLASSIFY_MESSAGE];
    bml_classify_table *table = NULL;
    int status;
    if (is_file(data, size))
        status = read_file(&table, data, size);
    else
        status = bml_classify_table_parse(&table, (const char *)data, size, "fuzz", why);
    if (status) return 0;
    use_table(table);
    bml_classify_table_free(table);
    return 0;
}
