/* fuzz_options.c: the command line, one word a line, and the table reader below all formats, against any bytes. */
#include "common.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int quiet = 0;
    int grid = 0;
    int argc = 1;
    long steps = 5;
    uint64_t seed = 0;
    double z = 1;
    const char *out = "out";
    option_list fix = {0};
    const option_row rows[] = {{.name = "quiet", .flag = &quiet},
                               {.name = "grid", .choice = &grid, .value = "converged|athena"},
                               {.name = "steps", .integer = &steps, .min = 1, .max = 1000},
                               {.name = "seed", .natural = &seed},
                               {.name = "redshift", .real = &z, .min = 0, .max = 10},
                               {.name = "out", .text = &out},
                               {.name = "fix", .list = &fix},
                               {0}};
    char err[ERROR_SIZE] = "";
    char program[] = "program";
    char *argv[102] = {NULL};
    char *field[8];
    text_file t;
    if (text_copy(&t, data, size, "input", err)) return 0;
    argv[0] = program;
    char *line;
    while (argc < 100 && (line = text_line(&t)))
        argv[argc++] = line;
    int n = options_read(argc, argv, rows, err);
    if (n < 0 && n != OPTIONS_HELP && !err[0]) abort();
    if (!(z >= 0 && z <= 10) || steps < 1 || steps > 1000 || grid < 0 || grid > 1) abort();
    text_close(&t);
    if (text_copy(&t, data, size, "input", err)) return 0;
    while ((line = text_line(&t))) {
        int k = split(field, 8, line, t.line & 1 ? ',' : ' ');
        for (int i = 0; i < k && k <= 8; i++)
            if (field[i] < t.data || field[i] + strlen(field[i]) > t.end) abort();
    }
    text_close(&t);
    return 0;
}
