/* fuzz_row.c: the row reader of ssc_sed against random input. */
#define main ssc_sed_main
#include "ssc_sed.c"
#undef main

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char err[ERROR_SIZE];
    double row[N_PAR];
    text_file t;
    if (text_copy(&t, data, size, "fuzz", err)) return 0;
    char *text;
    while ((text = text_line(&t)) != NULL)
        read_row(row, &t, text, err);
    text_close(&t);
    return 0;
}
