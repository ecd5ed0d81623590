/* test_common.c: what the programs share (examples/common/common.h): numbers, text, options, files, formats, priors,
   pictures. */
#include "common.h"
#include "verdict.h"
#include "bml_mcmc.h" /* only its type of a prior */
#include "check.h"

static char folder[64]; /* scratch, removed at the end */

static const char *in_folder(const char *name) {
    static char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* A small file as text; empty when it is not there. */
static const char *contents(const char *name) {
    static char data[4096];
    FILE *f = fopen(in_folder(name), "rb");
    size_t n = f ? fread(data, 1, sizeof data - 1, f) : 0;
    if (f) fclose(f);
    data[n] = 0;
    return data;
}

static void put(const char *name, const char *s) {
    FILE *f = fopen(in_folder(name), "wb");
    if (!f) return;
    fputs(s, f);
    fclose(f);
}

static void test_numbers(void) {
    static const struct {
        const char *text, *wrong;
        double value;
    } rows[] = {{"1", NULL, 1},
                {" -2.5e3 ", NULL, -2500},
                {".5", NULL, 0.5},
                {"1e-400", NULL, 0},
                {"", "is empty", 0},
                {"  ", "is empty", 0},
                {"1x", "is not a number", 0},
                {"1 2", "is not a number", 0},
                {"nan", "is not finite", 0},
                {"-inf", "is not finite", 0},
                {"1e999", "is not finite", 0},
                {"0x10", "is not a number", 0},
                {"e5", "is not a number", 0},
                {"1,5", "is not a number", 0}};
    long n = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double value = -1;
        const char *wrong = read_real(&value, rows[i].text);
        CHECK(rows[i].wrong ? wrong && !strcmp(wrong, rows[i].wrong) : !wrong && value == rows[i].value, "'%s' %s",
              rows[i].text, wrong ? wrong : "is read");
    }
    CHECK(!read_integer(&n, " -12 ") && n == -12, "'-12' is a whole number");
    CHECK(read_integer(&n, "1.0") && read_integer(&n, "1e3") && read_integer(&n, "") &&
              read_integer(&n, "99999999999999999999"),
          "1.0, 1e3, nothing and 1e20 are no whole numbers");
}

static void test_split(void) {
    static const struct {
        const char *line;
        char separator;
        int n;
        const char *joined;
    } rows[] = {{"a,b,c", ',', 3, "a|b|c|"},
                {" a , b ", ',', 2, "a|b|"},
                {"a,,", ',', 3, "a|||"},
                {"", ',', 0, ""},
                {",", ',', 2, "||"},
                {"  a \t b ", ' ', 2, "a|b|"},
                {"   ", ' ', 0, ""},
                {"\"a,\"\"b\"\"\",c", ',', 2, "a,\"b\"|c|"},
                {"\"a b\" \"\" c", ' ', 3, "a b||c|"},
                {"\"a", ',', -1, ""},
                {"1,2,3,4,5", ',', 5, ""},
                {"\" a \",b", ',', 2, " a |b|"},
                {"a,\"\"", ',', 2, "a||"}};
    char line[64];
    char joined[64];
    char *field[4];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        strcpy(line, rows[i].line);
        int n = split(field, 4, line, rows[i].separator);
        joined[0] = 0;
        for (int k = 0; k < n && n <= 4; k++)
            strcat(strcat(joined, field[k]), "|");
        CHECK(n == rows[i].n && !strcmp(joined, rows[i].joined), "split '%s' at '%c': %d, %s", rows[i].line,
              rows[i].separator, n, joined);
    }
}

static void test_text(void) {
    text_file t;
    char err[ERROR_SIZE];
    CHECK(!text_copy(&t, "a\r\nb\n\nc", 7, "t", err), "a text with both kinds of line ends");
    char *line = text_line(&t);
    CHECK(line && !strcmp(line, "a") && t.line == 1, "line 1");
    line = text_line(&t);
    CHECK(line && !strcmp(line, "b") && t.line == 2, "line 2");
    line = text_line(&t);
    CHECK(line && !*line && t.line == 3, "line 3 is empty");
    line = text_line(&t);
    CHECK(line && !strcmp(line, "c") && t.line == 4 && !text_line(&t) && !text_line(&t), "line 4, and no more");
    text_close(&t);
    CHECK(text_copy(&t, "a\nb\0c", 5, "t", err) == -1 && strstr(err, "t:2: not a text table"), "refused: %s", err);
}

/* Runs options_read on a command line; the variables are fresh each time. */
static struct {
    int quiet, grid;
    long steps;
    uint64_t seed;
    double z;
    const char *out;
    option_list fix;
} set;

static const option_row *option_table(void) {
    static option_row rows[] = {
        {.name = "quiet", .flag = &set.quiet, .help = "no bar"},
        {.name = "grid", .choice = &set.grid, .value = "converged|athena", .help = "grid"},
        {.name = "steps", .integer = &set.steps, .min = 1, .max = 1000, .value = "N", .help = "steps"},
        {.name = "seed", .natural = &set.seed, .value = "N", .help = "seed"},
        {.name = "redshift", .real = &set.z, .min = 0, .max = 10, .value = "Z", .help = "redshift"},
        {.name = "out", .text = &set.out, .value = "DIR", .help = "folder"},
        {.name = "fix", .list = &set.fix, .value = "NAME=VALUE", .help = "hold"},
        {0}};
    memset(&set, 0, sizeof set);
    set.steps = 7;
    set.z = (double)NAN;
    return rows;
}

static int parse(char *err, const char *words) {
    static char line[512];
    char *argv[32] = {NULL};
    int argc = 1;
    strcpy(line, words);
    argv[0] = "program";
    for (argv[argc] = strtok(line, " "); argv[argc]; argv[argc] = strtok(NULL, " "))
        argc++;
    err[0] = 0;
    return options_read(argc, argv, option_table(), err);
}

static void test_options(void) {
    static const struct {
        const char *words, *message;
    } bad[] = {{"--steps 0", "--steps: 0 is outside 1 to 1000"},
               {"--steps 5x", "--steps: '5x' is not a whole number"},
               {"--steps 5.5", "--steps: '5.5' is not a whole number"},
               {"--redshift -1", "--redshift: -1 is outside 0 to 10"},
               {"--redshift nan", "--redshift: 'nan' is not finite"},
               {"--redshift 1,5", "--redshift: '1,5' is not a number"},
               {"--grid fine", "--grid: 'fine' is not one of converged|athena"},
               {"--grid conv", "--grid: 'conv' is not one of"},
               {"--seed -1", "--seed: '-1' is not a whole number"},
               {"--seed 18446744073709551616", "--seed:"},
               {"--bogus", "--bogus: no such option"},
               {"-xh", "-x: no such option"},
               {"--out", "--out: a value is missing"},
               {"--no-out", "--no-out: no such option"},
               {"--quiet=1", "--quiet=1: no such option"}};
    char err[ERROR_SIZE];
    int first = parse(err, "--steps 12 a.csv --grid=athena --quiet --seed 18446744073709551615 --redshift 0.5 --fix "
                           "a=1 --fix b=2 --out d");
    CHECK(first == 15 && set.steps == 12 && set.grid == 1 && set.quiet == 1 && set.z == 0.5 && !strcmp(set.out, "d"),
          "options are read (%s)", err);
    CHECK(set.seed == UINT64_MAX, "the largest seed");
    CHECK(set.fix.n == 2 && !strcmp(set.fix.item[1], "b=2"), "an option given twice makes a list");
    CHECK(parse(err, "--quiet --no-quiet") > 0 && set.quiet == 0, "--no-quiet takes --quiet back");
    CHECK(parse(err, "") == 1 && set.steps == 7 && isnan(set.z), "defaults are left alone");
    CHECK(parse(err, "--steps 3 --help") == OPTIONS_HELP, "--help");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int refused = parse(err, bad[i].words) == -1;
        CHECK(refused && !strncmp(err, bad[i].message, strlen(bad[i].message)), "refused: %s",
              refused ? err : bad[i].words);
    }
}

/* Every file appears whole or not at all. */
static void test_files(void) {
    char err[ERROR_SIZE];
    char path[PATH_SIZE];
    put("kept", "old");
    out_file o;
    CHECK(!out_begin(&o, folder, "kept", err), "a file is begun");
    fputs("new", o.f);
    fflush(o.f);
    CHECK(!strcmp(contents("kept"), "old"), "while it is written, the old one stands");
    out_discard(&o);
    CHECK(!strcmp(contents("kept"), "old") && access(o.temporary, F_OK),
          "discarded: the old one stands, nothing is left");
    out_discard(&o);
    CHECK(!out_begin(&o, folder, "kept", err) && fputs("new", o.f) >= 0 && !out_commit(&o, err), "a file is committed");
    CHECK(!strcmp(contents("kept"), "new") && access(o.temporary, F_OK),
          "committed: the new one stands, nothing is left");
    CHECK(out_begin(&o, in_folder("absent"), "f", err) == -1 && strstr(err, "absent/f: No such file"), "refused: %s",
          err);
    /* a full disk: writing to /dev/full fails when the buffer is flushed */
    CHECK(!out_begin(&o, folder, "kept", err), "a file is begun");
    if (freopen("/dev/full", "wb", o.f)) {
        fputs("lost", o.f);
        CHECK(out_commit(&o, err) == -1 && strstr(err, "No space left"), "refused: %s", err);
        CHECK(!strcmp(contents("kept"), "new") && access(o.temporary, F_OK),
              "full disk: the old one stands, nothing is left");
    } else {
        SKIP("no /dev/full here");
    }
    snprintf(path, sizeof path, "%s/a/b/c", folder);
    CHECK(!out_folder(path, err) && !access(path, W_OK) && !out_folder(path, err),
          "a folder is made with its parents, or is there");
    CHECK(out_folder(in_folder("kept"), err) == -1, "refused: %s", err);
    CHECK(out_folder("/proc/none", err) == -1 && out_folder("", err) == -1, "refused: %s", err);
}

/* exit() with a file open leaves nothing behind: tried in a child. */
static void test_early_exit(void) {
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        out_file o;
        char err[ERROR_SIZE];
        if (out_begin(&o, folder, "early", err)) _exit(9);
        put("name", o.temporary);
        exit(7);
    }
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7 && contents("name")[0] && access(contents("name"), F_OK) &&
              access(in_folder("early"), F_OK),
          "a program that ends early leaves no temporary file");
}

/* What npy_write wrote comes back; a file that is cut, too long or no array is refused. data: of this shape. */
static void check_npy_read(const double *data, const long *shape) {
    char err[ERROR_SIZE];
    char bytes[1024];
    double *back;
    long got[4];
    int n_dim;
    CHECK(!npy_read(&back, got, &n_dim, folder, "a.npy", err) && n_dim == 3 && !memcmp(got, shape, 3 * sizeof *shape) &&
              !memcmp(back, data, (size_t)(shape[0] * shape[1] * shape[2]) * sizeof *data),
          "npy_read: what npy_write wrote");
    free(back);
    FILE *f = fopen(in_folder("a.npy"), "rb");
    const size_t size = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (f) fclose(f);
    for (int damage = 0; damage < 4; damage++) { /* one byte short, one too many, cut in the header, a huge shape */
        f = fopen(in_folder("d.npy"), "wb");
        if (!f) break;
        if (damage == 3) memcpy(strstr(bytes + 10, "'shape': (") + 10, "9999999999", 10);
        fwrite(bytes, 1, damage == 0 ? size - 1 : damage == 2 ? 40 : size, f);
        if (damage == 1) fputc('x', f);
        fclose(f);
        CHECK(npy_read(&back, got, &n_dim, folder, "d.npy", err) == -1 && !back, "npy_read, damaged: %s", err);
    }
    CHECK(npy_read(&back, got, &n_dim, folder, "nowhere.npy", err) == -1, "npy_read: %s", err);
}

static void test_formats(void) {
    static const double data[6] = {1, 2.5, -3, 1e300, 0, 6};
    static const long shape[3] = {1, 2, 3};
    char err[ERROR_SIZE];
    char command[512];
    unsigned char raw[256];
    size_t n = 0;
    double back[6] = {0};
    CHECK(!npy_write(folder, "a.npy", data, shape, 3, err) && !npy_write(folder, "b.npy", data, shape + 2, 1, err),
          "npy files are written");
    FILE *f = fopen(in_folder("a.npy"), "rb");
    if (f) {
        n = fread(raw, 1, sizeof raw, f);
        fclose(f);
    }
    size_t header = (size_t)raw[8] + 256 * (size_t)raw[9];
    CHECK(n == 10 + header + sizeof data && !memcmp(raw, "\x93NUMPY\x01\x00", 8) && (10 + header) % 64 == 0 &&
              raw[9 + header] == '\n',
          "npy: magic, version, header that ends at a multiple of 64, size");
    raw[9 + header] = 0;
    CHECK(strstr((char *)raw + 10, "'shape': (1, 2, 3,)") && strstr((char *)raw + 10, "'<f8'") &&
              strstr((char *)raw + 10, "'fortran_order': False"),
          "npy header: %.60s", (char *)raw + 10);
    memcpy(back, raw + 10 + header, sizeof back);
    CHECK(!memcmp(back, data, sizeof data), "npy: the numbers");
    if (system("/usr/bin/python3 -c 'import numpy' >/dev/null 2>&1")) {
        SKIP("no python3-numpy here");
    } else {
        snprintf(command, sizeof command,
                 "/usr/bin/python3 -c 'import numpy as n;a=n.load(\"%s/a.npy\");b=n.load(\"%s/b.npy\");"
                 "assert a.shape==(1,2,3) and a[0,1,0]==1e300 and b.shape==(3,) and b[2]==-3'",
                 folder, folder);
        CHECK(system(command) == 0, "numpy reads both");
    }
    CHECK(npy_write(folder, "c.npy", data, (const long[]){LONG_MAX, LONG_MAX}, 2, err) == -1, "refused: %s", err);
    check_npy_read(data, shape);
    CHECK(!csv_write(folder, "t.csv", "a,b", data, 2, 2, err) && !strcmp(contents("t.csv"), "a,b\n1,2.5\n-3,1e+300\n"),
          "a CSV table");
    f = fopen(in_folder("q"), "wb");
    if (f) {
        csv_text(f, "a,\"b\"");
        csv_text(f, "c");
        fclose(f);
    }
    CHECK(!strcmp(contents("q"), "\"a,\"\"b\"\"\"c"), "CSV quotes");
}

static void test_run_json(void) {
    static const run_entry results[] = {
        {"n", 3, NULL}, {"undefined", (double)INFINITY, NULL}, {"note", 0, "a \"b\" \\ \n"}, {NULL, 0, NULL}};
    char err[ERROR_SIZE];
    run_info run = {.program = "p",
                    .options = option_table(),
                    .input = NULL,
                    .seed = UINT64_MAX,
                    .seconds = 1.5,
                    .results = results};
    CHECK(!run_write(folder, &run, err), "run.json is written");
    CHECK(!strcmp(contents("run.json"),
                  "{\n  \"program\": \"p\",\n  \"version\": \"" BML_VERSION
                  "\",\n  \"input\": null,\n  \"settings\": {\n"
                  "    \"quiet\": false,\n    \"grid\": \"converged\",\n    \"steps\": 7,\n    \"seed\": 0,\n    "
                  "\"redshift\": null,\n"
                  "    \"out\": null,\n    \"fix\": []\n  },\n  \"seed\": 18446744073709551615,\n  \"seconds\": 1.5,\n"
                  "  \"results\": {\n    \"n\": 3,\n    \"undefined\": null,\n    \"note\": \"a \\\"b\\\" \\\\ "
                  "\\u000a\"\n  }\n}\n"),
          "run.json holds settings, seed and results");
}

/* Colours, order, exit status, the file, and the same lines in run.json. */
static void test_verdict(void) {
    static verdict v;
    char err[ERROR_SIZE];
    memset(&v, 0, sizeof v);
    CHECK(verdict_status(&v) == 0 && !strcmp(verdict_summary(&v), "usable"), "a verdict without lines is usable");
    CHECK(verdict_colour(1, 1, 2) == VERDICT_GREEN && verdict_colour(2, 1, 2) == VERDICT_YELLOW &&
              verdict_colour(2.1, 1, 2) == VERDICT_RED && verdict_colour((double)NAN, 1, 2) == VERDICT_RED,
          "colours by number; NaN is red");
    verdict_add(&v, VERDICT_GREEN, "good", 1, "All of %d.", 3);
    verdict_add(&v, VERDICT_YELLOW, "so_so", 2, "Half.");
    CHECK(verdict_status(&v) == 0, "yellow is usable");
    verdict_add(&v, VERDICT_GREEN, "unknown", (double)NAN, "Nobody \"knows\".");
    CHECK(verdict_status(&v) == 2 && v.line[2].colour == VERDICT_RED, "a NaN is never green");
    CHECK(!verdict_write(&v, folder, err), "verdict.txt is written");
    const char *text = contents("verdict.txt");
    const char *red = strstr(text, "Nobody");
    const char *yellow = strstr(text, "Half");
    const char *green = strstr(text, "All of 3.");
    CHECK(!strncmp(text, "verdict: NOT TO BE TRUSTED (1 red, 1 yellow, 1 green)\n", 54), "its first line");
    CHECK(red && yellow && green && red < yellow && yellow < green, "red first, green last");
    const run_info run = {.program = "p", .options = option_table(), .more = verdict_json, .more_of = &v};
    CHECK(!run_write(folder, &run, err), "run.json with a verdict");
    CHECK(strstr(contents("run.json"),
                 "\"verdict\": {\n    \"summary\": \"NOT TO BE TRUSTED\",\n    \"exit_status\": 2,"),
          "holds it");
    CHECK(strstr(contents("run.json"), "\"number\": null,\n        \"text\": \"Nobody \\\"knows\\\".\""),
          "and its lines");
    for (int i = 0; i < 2 * VERDICT_LINES; i++)
        verdict_add(&v, VERDICT_RED, "many", i, "Line %d.", i);
    CHECK(v.n == VERDICT_LINES && v.lost == VERDICT_LINES + 3 && v.count[VERDICT_RED] == 2 * VERDICT_LINES + 1,
          "lines beyond the room are counted");
}

/* Files of a group appear together, or not at all. */
static void test_together(void) {
    char err[ERROR_SIZE];
    out_file o;
    put("old.txt", "old");
    out_together();
    CHECK(!out_begin(&o, folder, "old.txt", err), "a file of a group begins");
    fprintf(o.f, "new");
    CHECK(!out_commit(&o, err) && !strcmp(contents("old.txt"), "old"), "it is whole, and the old one still there");
    out_discard_group();
    CHECK(!strcmp(contents("old.txt"), "old"), "a group that is given up changes nothing");
    out_together();
    CHECK(!out_begin(&o, folder, "old.txt", err), "again");
    fprintf(o.f, "abc");
    CHECK(!out_commit(&o, err), "it is whole");
    const run_info run = {.program = "p", .options = option_table()};
    CHECK(!run_write(folder, &run, err) && !out_publish(err), "run.json is written last, and all are published");
    CHECK(!strcmp(contents("old.txt"), "abc"), "the new file has its name");
    /* FIPS 180-4, appendix: SHA-256 of "abc" */
    CHECK(strstr(contents("run.json"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") != NULL,
          "its sum stands in run.json");
    put("long.txt", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
    char sum[65];
    sha256_file(sum, in_folder("long.txt"));
    CHECK(!strcmp(sum, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"), "the sum of two blocks");
    remove(in_folder("long.txt"));
    remove(in_folder("old.txt"));
}

/* A folder belongs to one run. */
static void test_lock(void) {
    char err[ERROR_SIZE] = "";
    int status = 1;
    CHECK(!out_lock(folder, err), "a folder is locked (%s)", err);
    const pid_t child = fork();
    if (child == 0) _exit(out_lock(folder, err) == -1 && strstr(err, "another run") ? 0 : 1);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "another process is refused");
    CHECK(out_lock("/nowhere/at/all", err) == -1, "a folder that is not there: %s", err);
}

static void test_nearest(void) {
    static const char *const words[] = {"redshift", "seed", "steps"};
    CHECK(word_distance("kitten", "sitting") == 3 && word_distance("", "abc") == 3 && word_distance("abc", "abc") == 0,
          "distances of words");
    CHECK(word_nearest("redshfit", words, 3) == words[0] && word_nearest("sed", words, 3) == words[1],
          "the nearest word");
    CHECK(!word_nearest("xyz", words, 3), "no word is near");
}

/* The share of a batch system, and the user's own choice. */
static void test_threads(void) {
#ifdef _OPENMP
    omp_set_num_threads(8);
    unsetenv("OMP_NUM_THREADS");
    setenv("SLURM_CPUS_PER_TASK", "1", 1);
    CHECK(threads_or_all(0) == 1, "SLURM_CPUS_PER_TASK=1: one thread");
    CHECK(threads_or_all(3) == 3, "but three when asked for");
    setenv("SLURM_CPUS_PER_TASK", "many", 1);
    const int quota = quota_processors();
    CHECK(threads_or_all(0) == (quota > 0 && quota < 8 ? quota : 8), "no number: all");
    unsetenv("SLURM_CPUS_PER_TASK");
#endif
    CHECK(quota_processors() >= 0, "a quota of %d processors", quota_processors());
}

static void test_stopping(void) {
    CHECK(!stop_asked(), "nobody has asked to stop");
    stop_on_signals(0);
    raise(SIGTERM);
    CHECK(stop_asked() == SIGTERM, "a signal is remembered");
    *stop_flag() = 0;
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
}

static void test_progress(void) {
    progress_bar p = {"work", 10, 100, 0, 0};
    char s[256];
    progress_text(s, sizeof s, &p, 5, 110, "note");
    CHECK(!strcmp(s, "work [===============>              ]  50 %, 0:10 left, note"), "'%s'", s);
    progress_text(s, sizeof s, &p, 10, 110, NULL);
    CHECK(!strcmp(s, "work [==============================] 100 %, 0:00 left"), "'%s'", s);
    progress_text(s, sizeof s, &p, 0, 100, NULL);
    CHECK(!strcmp(s, "work [>                             ]   0 %"), "'%s'", s);
}

static void test_priors(void) {
    static const struct {
        const char *text, *message;
    } bad[] = {{"", "t:1: no priors"},
               {"# only\n", "t:1: no priors"},
               {"p\n", "t:1: '' is none of"},
               {"p,flat,1,2\n", "t:1: 'flat' is none of uniform"},
               {"a,uniform,1,2\np,uniform,1\n", "t:2: uniform takes 2 values, here are 1"},
               {"p,normal,1,2,3,4\n", "t:1: normal takes 2 values, here are 4"},
               {"p,truncnormal,1,2\n", "t:1: truncnormal takes 4 values"},
               {"p,uniform,2,1\n", "t:1: lower end 2 must be below upper end 1"},
               {"p,uniform,1,1\n", "t:1: lower end"},
               {"p,uniform,1,x\n", "t:1: 'x' is not a number"},
               {"p,uniform,1,inf\n", "t:1: 'inf' is not finite"},
               {"p,loguniform,0,1\n", "t:1: lower end 0 must be positive"},
               {"p,normal,0,0\n", "t:1: sd 0 must be positive"},
               {"p,normal,0,-1\n", "t:1: sd -1 must be positive"},
               {"p,truncnormal,0,1,2,1\n", "t:1: lower end 2 must be below"},
               {",uniform,0,1\n", "t:1: '' is no name"},
               {"p,uniform,0,1\np,normal,0,1\n", "t:2: 'p' has a prior already, in line 1"},
               {"p,table,x.csv\n", "t:1: a table needs a file"},
               {"p,uniform,0,1,2,3,4\n", "t:1: too many fields"},
               {"p,uniform,\"0,1\n", "t:1: a quote is not closed"},
               {"p,uniform,0,1\x02\n", "t:1: not a text table"}};
    static const char *const bad_tables[][2] = {{"", "needs two lines"},
                                                {"1,2\n", "needs two lines"},
                                                {"1,0\n2,0\n", "needs two lines"},
                                                {"1,2\n1,3\n", "table.csv:2: x must ascend"},
                                                {"1,-2\n", "table.csv:1: density -2 is negative"},
                                                {"1\n", "table.csv:1: needs two fields"},
                                                {"1,nan\n", "table.csv:1: x or density is not finite"}};
    static const char *const names[] = {"log_R", "t", "d", "p"};
    char err[ERROR_SIZE] = "";
    put("table.csv", "x,density\n# comment\n1,0\n2,3\n4,1\n");
    put("prior.csv", "name,kind,a,b,c,d\n# comment\nlog_R,uniform,14,17,,\n t , loguniform , "
                     "1e3,1e6\nd,normal,1.3,0.2\np,truncnormal,2.2,0.3,1.5,3\n\nB,table,table.csv\n");
    prior_file p;
    CHECK(!prior_read(&p, in_folder("prior.csv"), err) && p.n == 5, "a prior file of every kind (%s)", err);
    if (p.n == 5) {
        CHECK(p.row[0].kind == PRIOR_UNIFORM && p.row[0].lower == 14 && p.row[0].upper == 17 && p.row[0].line == 3,
              "uniform");
        CHECK(p.row[1].kind == PRIOR_LOG_UNIFORM && p.row[1].lower == 1e3 && p.row[1].upper == 1e6 &&
                  !strcmp(p.row[1].name, "t"),
              "loguniform");
        CHECK(p.row[2].kind == PRIOR_NORMAL && p.row[2].mean == 1.3 && p.row[2].sd == 0.2 && p.row[2].lower == 0 &&
                  p.row[2].upper == 0,
              "normal");
        CHECK(p.row[3].kind == PRIOR_NORMAL && p.row[3].mean == 2.2 && p.row[3].lower == 1.5 && p.row[3].upper == 3,
              "truncnormal");
        CHECK(p.row[4].kind == PRIOR_TABLE && p.row[4].n == 3 && p.row[4].x[2] == 4 && p.row[4].density[1] == 3 &&
                  p.row[4].upper == 4,
              "table");
        CHECK(prior_find(&p, "d") == &p.row[2] && !prior_find(&p, "x"), "found by name");
        CHECK(prior_check_names(&p, names, 4, err) == -1 && strstr(err, "prior.csv:8: no parameter is called 'B'"),
              "refused: %s", err);
        CHECK((int)PRIOR_UNIFORM == (int)BML_MCMC_UNIFORM && (int)PRIOR_LOG_UNIFORM == (int)BML_MCMC_LOG_UNIFORM &&
                  (int)PRIOR_NORMAL == (int)BML_MCMC_NORMAL && (int)PRIOR_TABLE == (int)BML_MCMC_TABLE,
              "the kinds are those of bml_mcmc.h");
        bml_mcmc_prior_param param;
        PRIOR_PARAM(&param, prior_find(&p, "B"));
        CHECK(param.kind == PRIOR_TABLE && param.n == 3 && param.x == p.row[4].x, "handed on");
    }
    prior_free(&p);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int refused = prior_read_memory(&p, bad[i].text, strlen(bad[i].text), "t", err) == -1;
        CHECK(refused && !strncmp(err, bad[i].message, strlen(bad[i].message)) && p.n == 0, "refused: %s",
              refused ? err : bad[i].message);
        prior_free(&p);
    }
    for (size_t i = 0; i < sizeof bad_tables / sizeof *bad_tables; i++) {
        put("table.csv", bad_tables[i][0]);
        CHECK(prior_read(&p, in_folder("prior.csv"), err) == -1 && strstr(err, bad_tables[i][1]), "refused: %s",
              strrchr(err, '/'));
    }
    remove(in_folder("table.csv"));
    CHECK(prior_read(&p, in_folder("prior.csv"), err) == -1 && strstr(err, "table.csv: No such file"), "refused: %s",
          strrchr(err, '/'));
}

/* Densities of a known pair, and the picture itself where gnuplot is. */
static void test_pictures(void) {
    enum { N = 40000 };
    static double sample[N * 2];
    static double g[PLOT_GRID * PLOT_GRID];
    static const char *const label[] = {"log_{10} R", "it's {/Symbol g}"};
    static const char *const unit[] = {"cm", NULL};
    plot_axis axes[2] = {{-5, 5, 0, 1, 1}, {-5, 5, 0, 1, 1}};
    plot_corner p = {
        .n_dim = 2, .label = label, .unit = unit, .chain = {"a", sample, N}, .second = {"it's", sample, N / 2}};
    char err[ERROR_SIZE] = "";
    double total = 0;
    double within = 0;
    /* a regular net of quantiles of two independent normals: x at the i-th, y at a golden-ratio shuffle of them */
    for (int i = 0; i < N; i++)
        for (int k = 0; k < 2; k++) {
            double u = k ? fmod(0.5 + i * 0.6180339887498949, 1) : (i + 0.5) / N;
            double lo = -8;
            double hi = 8;
            for (int s = 0; s < 50; s++) {
                double mid = (lo + hi) / 2;
                if (0.5 * erfc(-mid / sqrt(2.0)) < u)
                    lo = mid;
                else
                    hi = mid;
            }
            sample[2 * i + k] = lo;
        }
    plot_density(g, &p.chain, 0, 1, 2, axes);
    double level = plot_level(g, 0.9);
    for (int i = 0; i < PLOT_GRID * PLOT_GRID; i++) {
        double x = (i % PLOT_GRID + 0.5) / PLOT_GRID * 10 - 5;
        double y = (i / PLOT_GRID + 0.5) / PLOT_GRID * 10 - 5;
        total += g[i];
        if (x * x + y * y < 2 * log(10.0)) within += g[i]; /* 90 % of a round normal lie inside r^2 = 2 ln 10 */
    }
    /* smoothing with sigma s widens the variance to 1 + s^2: s = N^(-1/6) = 0.17, so 0.90 becomes
       1 - 0.1^(1/1.029) = 0.893; cells on the rim add about their width times the density there, 0.01 */
    CHECK_NEAR(total, N, 1, "smoothing keeps the number of samples");
    CHECK_NEAR(within / total, 0.893, 0.01, "fraction within the 90 %% circle");
    /* the density of a normal on that circle is a tenth of its highest; the width of the cells changes it by 0.015 */
    CHECK_NEAR(level / g[PLOT_GRID / 2 * PLOT_GRID + PLOT_GRID / 2], 0.1, 0.015, "level of the 90 %% contour");
    int drawn = plot_corner_write(&p, folder, "corner", err);
    CHECK(drawn >= 0 && !access(in_folder("corner.gp"), R_OK), "the corner plot's script (%s)", err);
    if (drawn == 1)
        SKIP("no gnuplot here: pictures not drawn");
    else
        CHECK(!memcmp(contents("corner.png"), "\x89PNG", 4), "the corner plot's picture");
    p.chain.n = 1;
    CHECK(plot_corner_write(&p, folder, "none", err) == -1 && access(in_folder("none.gp"), F_OK), "refused: %s", err);
}

int main(void) {
    char command[128];
    strcpy(folder, "/tmp/bml_test_common_XXXXXX");
    if (!mkdtemp(folder)) return 1;
    test_numbers();
    test_split();
    test_text();
    test_options();
    test_files();
    test_early_exit();
    test_formats();
    test_run_json();
    test_verdict();
    test_together();
    test_lock();
    test_nearest();
    test_threads();
    test_stopping();
    test_progress();
    test_priors();
    test_pictures();
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command)) printf("could not remove %s\n", folder);
    return check_done();
}
