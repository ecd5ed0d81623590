/* common.h: what the programs of examples/ share, so that each of them holds only its own subject. Include it before
   any system header.

     errors      error_set, error_at ("file:line: what is wrong"), fail
     numbers     read_real, read_integer: the whole text must be a number, and finite; in any locale
     text        text_open, text_line, split: tables, line by line
     options     one table of struct option_row gives parsing, checking, --help, --version and the settings in run.json
     threads     thread_number, threads_or_all: the same with and without OpenMP; SLURM's and a container's share
     stopping    stop_on_signals, stop_asked: SIGINT, SIGTERM and --time-limit
     progress    a bar with the time left; a line every 30 s where there is no terminal
     files       out_folder, out_begin, out_commit: a file appears whole or not at all; out_lock, out_together: so do
                 the results of a run
     formats     json_..., run_write (run.json), npy_write, csv_write
     priors      prior_read: lines "name,kind,a,b[,c,d]"
     pictures    plot_begin, plot_end, plot_pdf, plot_corner_write: gnuplot scripts, run when gnuplot is there

   Functions that can fail return 0, or -1 with one line of text in err[ERROR_SIZE]. Programs print that line and
   exit with status 1: if (out_folder(dir, err)) fail("%s", err);
   Public domain or MIT, see LICENSE. */
#ifndef COMMON_H
#define COMMON_H

#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* POSIX beside C99: getopt_long, mkdir, isatty, clock_gettime, fork */
#endif
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#if defined(__GNUC__) || defined(__clang__)
#define COMMON_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define COMMON_PRINTF(fmt, args)
#endif
#ifndef BML_VERSION
#define BML_VERSION "0.2.0"
#endif

enum { ERROR_SIZE = 512 };
enum { PATH_SIZE = 1024 };

/* ==== errors ====================================================================================================== */

/* Writes the message; returns -1, so that a function can `return error_set(err, ...)`. */
COMMON_PRINTF(2, 3) static inline int error_set(char *err, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err, ERROR_SIZE, fmt, ap);
    va_end(ap);
    return -1;
}

/* "file:line: message"; returns -1. */
COMMON_PRINTF(4, 5) static inline int error_at(char *err, const char *file, long line, const char *fmt, ...) {
    va_list ap;
    int n = snprintf(err, ERROR_SIZE, "%.300s:%ld: ", file, line);
    va_start(ap, fmt);
    vsnprintf(err + n, (size_t)(ERROR_SIZE - n), fmt, ap);
    va_end(ap);
    return -1;
}

/* Ends the program: one line on standard error, exit status 1. Files not yet committed disappear. */
COMMON_PRINTF(1, 2) static inline void fail(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

/* For a program whose results go to standard output: ends it where they did not all arrive, as on a full disk. */
static inline void output_arrived(const char *program) {
    if (fflush(stdout) || ferror(stdout)) {
        fail("%s: cannot write: %s", program, strerror(errno));
    }
}

/* ==== numbers ===================================================================================================== */

static inline int is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Removes white space at both ends, in place. */
static inline char *trim(char *s) {
    while (is_space(*s))
        s++;
    for (size_t n = strlen(s); n > 0 && is_space(s[n - 1]); n--)
        s[n - 1] = 0;
    return s;
}

/* How many digits stand at the beginning of a text. */
static inline size_t digit_run(const char *s) {
    size_t n = 0;
    while (s[n] >= '0' && s[n] <= '9')
        n++;
    return n;
}

/* The decimal number at the beginning of a text, whatever the locale's decimal point is. Returns how many bytes it
   takes, 0 where there is none. Also nan, inf and infinity; not hexadecimal. */
static inline size_t real_prefix(double *value, const char *text) {
    const size_t sign = *text == '-' || *text == '+';
    char point[16]; /* 0.5 as this locale writes it: the point stands between the digits */
    char token[512];
    char *end;
    if (text[sign] && strchr("nNiI", text[sign])) {
        *value = strtod(text, &end);
        return (size_t)(end - text);
    }
    const size_t whole = sign + digit_run(text + sign);
    const size_t has_point = text[whole] == '.';
    const size_t decimals = has_point ? digit_run(text + whole + 1) : 0;
    if (whole == sign && decimals == 0) return 0;
    size_t n = whole + has_point + decimals;
    if (text[n] == 'e' || text[n] == 'E') {
        const char after = text[n + 1];
        const size_t power = n + 1 + (after == '-' || after == '+');
        const size_t digits = digit_run(text + power);
        if (digits) n = power + digits;
    }
    *value = strtod(text, &end);
    if (end == text + n) return n; /* this locale has a point */
    if (n + sizeof point > sizeof token) return 0;
    snprintf(point, sizeof point, "%.1f", 0.5);
    const char *rest = text + whole + has_point;
    const int rest_length = (int)(text + n - rest);
    const int point_length = has_point ? (int)strlen(point) - 2 : 0;
    snprintf(token, sizeof token, "%.*s%.*s%.*s", (int)whole, text, point_length, point + 1, rest_length, rest);
    *value = strtod(token, &end);
    return n;
}

/* Reads a finite decimal number that fills the whole text. Returns NULL, or what is wrong with it. */
static inline const char *read_real(double *value, const char *text) {
    while (is_space(*text))
        text++;
    if (!*text) return "is empty";
    const size_t n = real_prefix(value, text);
    if (n == 0) return "is not a number";
    const char *end = text + n;
    while (is_space(*end))
        end++;
    if (*end) return "is not a number";
    if (!isfinite(*value)) return "is not finite";
    return NULL;
}

/* The same for a whole number. */
static inline const char *read_integer(long *value, const char *text) {
    while (is_space(*text))
        text++;
    if (!*text) return "is empty";
    errno = 0;
    char *end;
    *value = strtol(text, &end, 10);
    if (end == text) return "is not a whole number";
    while (is_space(*end))
        end++;
    if (*end) return "is not a whole number";
    if (errno == ERANGE) return "is too large";
    return NULL;
}

/* ==== text tables ================================================================================================= */

enum { TEXT_LINE_MAX = 65536 };                 /* a longer line is an error [bytes] */
static const size_t TEXT_MAX = (size_t)1 << 30; /* so is a longer file [bytes] */

typedef struct text_file {
    char *data;           /* owned copy, ends with a NUL */
    char *next;           /* where the next line starts */
    char *end;            /* that NUL */
    long line;            /* number of the line returned last, from 1 */
    char name[PATH_SIZE]; /* for messages */
} text_file;

/* What is wrong with its present line; returns -1. */
COMMON_PRINTF(3, 4) static inline int text_error(char *err, const text_file *t, const char *fmt, ...) {
    va_list ap;
    const int n = snprintf(err, ERROR_SIZE, "%.300s:%ld: ", t->name, t->line);
    va_start(ap, fmt);
    vsnprintf(err + n, (size_t)(ERROR_SIZE - n), fmt, ap);
    va_end(ap);
    return -1;
}

/* Nothing but text, and no line too long. */
static inline int text_check(const text_file *t, char *err) {
    const char *start = t->data;
    long line = 1;
    for (const char *s = t->data; s < t->end; s++) {
        const unsigned char c = (unsigned char)*s;
        const int is_control = c < ' ' && c != '\t' && c != '\r';
        if (c == '\n') {
            line++;
            start = s + 1;
        } else if (is_control || c == 127) {
            return error_at(err, t->name, line, "not a text table (it holds the byte 0x%02x)", c);
        } else if (s - start >= TEXT_LINE_MAX) {
            return error_at(err, t->name, line, "line longer than %d bytes", TEXT_LINE_MAX);
        }
    }
    return 0;
}

static inline void text_close(text_file *t) {
    free(t->data);
    t->data = t->next = t->end = NULL;
}

/* Takes over data[size + 1], from malloc. */
static inline int text_start(text_file *t, char *data, size_t size, const char *name, char *err) {
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    data[size] = 0;
    t->data = t->next = data;
    t->end = data + size;
    t->line = 0;
    snprintf(t->name, sizeof t->name, "%.1000s", name);
    if (size >= 3 && !memcmp(data, byte_order_mark, 3)) t->next += 3;
    if (!text_check(t, err)) return 0;
    text_close(t);
    return -1;
}

/* Reads from memory: for tests and fuzzers. */
static inline int text_copy(text_file *t, const void *data, size_t size, const char *name, char *err) {
    char *copy = malloc(size + 1);
    memset(t, 0, sizeof *t);
    if (!copy) return error_set(err, "%.300s: out of memory", name);
    if (size) memcpy(copy, data, size);
    return text_start(t, copy, size, name, err);
}

/* A whole file, with room for one byte more; "-" is standard input. NULL: see err. */
static inline char *file_read(size_t *size_out, const char *path, char *err) {
    size_t size = 0;
    size_t room = 1 << 16;
    size_t got = 0;
    char *data = malloc(room + 1);
    FILE *f = strcmp(path, "-") ? fopen(path, "rb") : stdin;
    if (!f || !data) {
        const int reason = f ? ENOMEM : errno;
        free(data);
        if (f && f != stdin) fclose(f);
        error_set(err, "%.300s: %s", path, strerror(reason));
        return NULL;
    }
    while ((got = fread(data + size, 1, room - size, f)) > 0) {
        size += got;
        if (size < room) continue;
        char *more = room < TEXT_MAX ? realloc(data, 2 * room + 1) : NULL;
        if (!more) break;
        data = more;
        room *= 2;
    }
    int bad = got > 0 ? EFBIG : 0;
    if (ferror(f)) bad = errno;
    if (f != stdin) fclose(f);
    if (bad) {
        free(data);
        error_set(err, "%.300s: %s", path, strerror(bad));
        return NULL;
    }
    *size_out = size;
    return data;
}

/* Reads a whole text; "-" is standard input. */
static inline int text_open(text_file *t, const char *path, char *err) {
    size_t size;
    char *data = file_read(&size, path, err);
    const char *name = strcmp(path, "-") ? path : "standard input";
    memset(t, 0, sizeof *t);
    if (!data) return -1;
    return text_start(t, data, size, name, err);
}

/* The next line without its end, or NULL after the last. The caller may change its bytes. */
static inline char *text_line(text_file *t) {
    char *line = t->next;
    if (!line || line >= t->end) return NULL;
    char *end = memchr(line, '\n', (size_t)(t->end - line));
    t->next = end ? end + 1 : t->end;
    if (!end) end = t->end;
    if (end > line && end[-1] == '\r') end--;
    *end = 0;
    t->line++;
    return line;
}

/* Takes the "quoted" part at *in to *out, without its quotes; -1: it is not closed. */
static inline int split_quoted(char **in, char **out) {
    char *from = *in + 1;
    char *to = *out;
    while (*from && (*from != '"' || from[1] == '"')) {
        if (*from == '"') from++;
        *to++ = *from++;
    }
    if (!*from) return -1;
    *in = from + 1;
    *out = to;
    return 0;
}

/* Splits a line in place at every separator (' ' stands for any stretch of blanks) outside "quotes", whose inner ""
   means one ". Returns the number of fields, max + 1 when there are more, -1 when a quote is not closed. */
static inline int split(char **field, int max, char *line, char separator) {
    const int by_blanks = separator == ' ';
    char *in = line;
    int n = 0;
    for (;;) {
        while (is_space(*in) && (by_blanks || *in != separator))
            in++;
        if (!*in && (by_blanks || n == 0)) return n;
        if (n == max) return max + 1;
        char *start = in;
        char *out = in;
        const int quoted = *in == '"';
        field[n++] = start;
        if (quoted) {
            if (split_quoted(&in, &out)) return -1;
            while (is_space(*in) && !by_blanks)
                in++;
        }
        while (*in && *in != separator && !(by_blanks && is_space(*in)))
            *out++ = *in++;
        const int last = !*in;
        if (!last) in++;
        *out = 0;
        if (!quoted) trim(start);
        if (last) return n;
    }
}

/* ==== options =====================================================================================================

   A row names an option and the variable it sets; that variable's value before parsing is the default, and --help
   prints it. One of the pointers is set: it says what the option takes.

     int quiet = 0, grid = 0; long steps = 2000; double redshift = (double)NAN;
     const char *out = "out"; option_list fixed = {0};
     const option_row options[] = {
         { .name = "redshift", .real = &redshift, .min = 0, .max = 10, .value = "Z", .help = "redshift of the source" },
         { .name = "grid", .choice = &grid, .value = "converged|athena", .help = "energy grid of the solver" },
         { .name = "steps", .integer = &steps, .min = 1, .max = 1e9, .value = "N", .help = "steps of the chain" },
         { .name = "fix", .list = &fixed, .value = "NAME=VALUE", .help = "hold a parameter (may be repeated)" },
         { .name = "quiet", .flag = &quiet, .help = "no progress bar" },            takes --no-quiet too
         { .name = "out", .text = &out, .value = "DIR", .help = "folder for the results" },
         { 0 } };
     int first = options_parse(argc, argv, options, "fit_sed [options] SED", "Fits ...");   argv[first]...: files */

typedef struct option_list {
    const char *item[64];
    int n;
} option_list;

typedef struct option_row {
    const char *name; /* long name without dashes; NULL ends the table */
    int *flag;        /* --name sets 1, --no-name sets 0 */
    int *choice;      /* index of the word among value = "first|second|third" */
    long *integer;
    uint64_t *natural; /* a seed */
    double *real;
    const char **text;
    option_list *list;
    double min; /* range of a number, ends included; both 0: any */
    double max;
    const char *value; /* what --help calls the value, or the words of a choice */
    const char *help;  /* with the unit */
} option_row;

/* Rows of it. */
#define OPTION_SWITCH(row, at, says) \
    { .name = row, .flag = at, .help = says }
#define OPTION_CHOICE(row, at, words, says) \
    { .name = row, .choice = at, .value = words, .help = says }
#define OPTION_WHOLE(row, at, lo, hi, says) \
    { .name = row, .integer = at, .min = lo, .max = hi, .value = "N", .help = says }
#define OPTION_SEED(row, at, says) \
    { .name = row, .natural = at, .value = "S", .help = says }
#define OPTION_REAL(row, at, lo, hi, unit, says) \
    { .name = row, .real = at, .min = lo, .max = hi, .value = unit, .help = says }
#define OPTION_WORD(row, at, unit, says) \
    { .name = row, .text = at, .value = unit, .help = says }

enum { OPTION_MAX = 96 };
enum { OPTIONS_HELP = -2 };
enum { OPTIONS_VERSION = -3 };

/* Position of word among "a|b|c", or -1. */
static inline int choice_index(const char *choices, const char *word) {
    const size_t n = strlen(word);
    if (n == 0) return -1;
    for (int i = 0; choices; i++) {
        const int begins = !strncmp(choices, word, n);
        if (begins && (choices[n] == '|' || !choices[n])) return i;
        choices = strchr(choices, '|');
        if (choices) choices++;
    }
    return -1;
}

/* The word at a position among "a|b|c". */
static inline void choice_word(char *word, size_t size, const char *choices, int index) {
    while (index-- > 0 && strchr(choices, '|'))
        choices = strchr(choices, '|') + 1;
    snprintf(word, size, "%.*s", (int)strcspn(choices, "|"), choices);
}

/* The present value of an option, as text; empty when it has none. */
static inline void option_show(char *s, size_t size, const option_row *o) {
    s[0] = 0;
    if (o->flag && *o->flag < 0)
        snprintf(s, size, "as needed");
    else if (o->flag)
        snprintf(s, size, "%s", *o->flag ? "yes" : "no");
    else if (o->choice)
        choice_word(s, size, o->value, *o->choice);
    else if (o->integer)
        snprintf(s, size, "%ld", *o->integer);
    else if (o->natural)
        snprintf(s, size, "%llu", (unsigned long long)*o->natural);
    else if (o->real && isfinite(*o->real))
        snprintf(s, size, "%g", *o->real);
    else if (o->text && *o->text)
        snprintf(s, size, "%s", *o->text);
}

static inline void options_help(FILE *f, const option_row *options, const char *usage, const char *about) {
    fprintf(f, "usage: %s\n%s\n\n", usage, about);
    for (const option_row *o = options; o->name; o++) {
        char left[128];
        char preset[128];
        const char *value = o->value ? o->value : "";
        const char *help = o->help ? o->help : "";
        if (o->flag)
            snprintf(left, sizeof left, "--%s", o->name);
        else
            snprintf(left, sizeof left, "--%s %s", o->name, value);
        const char *next_line = strlen(left) > 26 ? "\n                             " : "";
        option_show(preset, sizeof preset, o);
        fprintf(f, "  %-26s %s%s", left, next_line, help);
        if (preset[0]) fprintf(f, " [%s]", preset);
        fputc('\n', f);
    }
    fprintf(f, "  %-26s this text\n", "--help");
    fprintf(f, "  %-26s %s\n", "--version", BML_VERSION);
}

/* A seed. */
static inline int option_set_natural(const option_row *o, const char *s, char *err) {
    char *end;
    errno = 0;
    const unsigned long long seed = strtoull(s, &end, 10);
    if (end == s || *end || strchr(s, '-') || errno)
        return error_set(err, "--%s: '%.100s' is not a whole number from 0 to 2^64 - 1", o->name, s);
    *o->natural = seed;
    return 0;
}

/* A number within its range. */
static inline int option_set_number(const option_row *o, const char *s, char *err) {
    double number = 0;
    long n = 0;
    const char *wrong = o->integer ? read_integer(&n, s) : read_real(&number, s);
    if (wrong) return error_set(err, "--%s: '%.100s' %s", o->name, s, wrong);
    if (o->integer) number = (double)n;
    const int limited = o->min < o->max;
    const int outside = number < o->min || number > o->max;
    if (limited && outside) return error_set(err, "--%s: %.100s is outside %g to %g", o->name, s, o->min, o->max);
    if (o->integer)
        *o->integer = n;
    else
        *o->real = number;
    return 0;
}

/* Sets one option from its text. */
static inline int option_set(const option_row *o, const char *s, char *err) {
    option_list *list = o->list;
    if (o->natural) return option_set_natural(o, s, err);
    if (o->integer || o->real) return option_set_number(o, s, err);
    if (o->choice) {
        const int i = choice_index(o->value, s);
        if (i < 0) return error_set(err, "--%s: '%.100s' is not one of %s", o->name, s, o->value);
        *o->choice = i;
    } else if (o->text) {
        *o->text = s;
    } else if (list) {
        const int most = (int)(sizeof list->item / sizeof *list->item);
        if (list->n == most) return error_set(err, "--%s: given too often", o->name);
        list->item[list->n] = s;
        list->n++;
    }
    return 0;
}

/* How many letters must be changed, added or taken away to make a of b, Levenshtein's distance; words up to 63
   letters. */
static inline int word_distance(const char *a, const char *b) {
    int row[64];
    const int n = (int)strlen(b);
    if (n > 63) return INT_MAX;
    for (int k = 0; k <= n; k++)
        row[k] = k;
    for (int i = 1; a[i - 1]; i++) {
        int corner = row[0];
        row[0] = i;
        for (int k = 1; k <= n; k++) {
            const int change = corner + (a[i - 1] != b[k - 1]);
            int gap = row[k] + 1;
            if (row[k - 1] < row[k]) gap = row[k - 1] + 1;
            corner = row[k];
            row[k] = change < gap ? change : gap;
        }
    }
    return row[n];
}

/* The word of a list [n] that is most like the given one; NULL where none is. */
static inline const char *word_nearest(const char *word, const char *const *list, int n) {
    const char *nearest = NULL;
    int least = 1 + (int)strlen(word) / 3;
    for (int i = 0; i < n; i++) {
        const int d = word_distance(word, list[i]);
        if (d > least || (nearest && d == least)) continue;
        least = d;
        nearest = list[i];
    }
    return nearest;
}

/* "--redshfit: no such option; is it --redshift? (see --help)". */
static inline int option_unknown(const char *word, const option_row *options, char *err) {
    const char *names[OPTION_MAX];
    char asked[64];
    int n = 0;
    while (options[n].name && n < OPTION_MAX) {
        names[n] = options[n].name;
        n++;
    }
    snprintf(asked, sizeof asked, "%s", word + strspn(word, "-"));
    asked[strcspn(asked, "=")] = 0;
    const char *nearest = word_nearest(asked, names, n);
    if (!nearest) return error_set(err, "%.100s: no such option (see --help)", word);
    return error_set(err, "%.100s: no such option; is it --%s? (see --help)", word, nearest);
}

/* Reads the command line. Returns the index of the first argument that is no option (getopt moves those last),
   OPTIONS_HELP or OPTIONS_VERSION when --help or --version was among them, or -1. */
static inline int options_read(int argc, char **argv, const option_row *options, char *err) {
    struct option known[2 * OPTION_MAX + 3];
    char negated[OPTION_MAX][64];
    int n = 0;
    int n_rows = 0;
    memset(known, 0, sizeof known);
    for (; options[n_rows].name && n_rows < OPTION_MAX; n_rows++) {
        const option_row *o = &options[n_rows];
        char *no = negated[n_rows];
        known[n].name = o->name;
        known[n].has_arg = o->flag ? no_argument : required_argument;
        known[n].val = 256 + n_rows;
        n++;
        if (!o->flag) continue;
        snprintf(no, sizeof negated[n_rows], "no-%s", o->name);
        known[n].name = no;
        known[n].has_arg = no_argument;
        known[n].val = 1024 + n_rows;
        n++;
    }
    known[n].name = "help";
    known[n].val = 'h';
    known[n + 1].name = "version";
    known[n + 1].val = 'v';
    opterr = 0;
    optind = 0; /* start afresh, also when called twice */
    for (;;) {
        const int code = getopt_long(argc, argv, ":h", known, NULL);
        if (code == -1) return optind;
        const char *word = argv[optind > 0 ? optind - 1 : 0];
        if (code == 'h') return OPTIONS_HELP;
        if (code == 'v') return OPTIONS_VERSION;
        if (code == ':') return error_set(err, "%.100s: a value is missing (see --help)", word);
        if (code == '?' && optopt > 0 && optopt < 256)
            return error_set(err, "-%c: no such option (see --help)", optopt);
        if (code == '?') return option_unknown(word, options, err);
        const int negative = code >= 1024;
        const option_row *o = &options[negative ? code - 1024 : code - 256];
        if (o->flag)
            *o->flag = !negative;
        else if (option_set(o, optarg, err))
            return -1;
    }
}

/* OpenMP's idle threads spin by default, which makes a busy machine two to four times slower. The runtime reads its
   settings before main() begins, so the program starts itself once more with the setting that lets them sleep. Nothing
   happens where the user has chosen, where there is no /proc, or under valgrind. */
static inline void wait_passively(void) {
#ifdef _OPENMP
    enum { ROOM = 1 << 21 };
    const char *preload = getenv("LD_PRELOAD");
    const int chosen = getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT") || getenv("KMP_BLOCKTIME");
    const int valgrind = preload && strstr(preload, "vgpreload");
    if (chosen || valgrind) return;
    FILE *f = fopen("/proc/self/cmdline", "rb");
    if (!f) return;
    char *text = malloc(ROOM);
    const size_t size = text ? fread(text, 1, ROOM, f) : 0;
    fclose(f);
    size_t n = 0;
    for (size_t i = 0; i < size; i++)
        n += text[i] == 0;
    char **argv = malloc((n + 1) * sizeof *argv);
    if (argv && n && size < ROOM) {
        char *s = text;
        for (size_t i = 0; i < n; i++) {
            argv[i] = s;
            s += strlen(s) + 1;
        }
        argv[n] = NULL;
        if (!setenv("OMP_WAIT_POLICY", "passive", 0)) execv("/proc/self/exe", argv);
    }
    free(argv); /* it could not: go on as we are */
    free(text);
#endif
}

/* The same for programs: --help and --version are printed and end the program, an error ends it with status 1. */
static inline int options_parse(int argc, char **argv, const option_row *options, const char *usage,
                                const char *about) {
    char err[ERROR_SIZE];
    wait_passively();
    int first = options_read(argc, argv, options, err);
    if (first == -1) fail("%s", err);
    if (first >= 0) return first;
    if (first == OPTIONS_HELP)
        options_help(stdout, options, usage, about);
    else
        printf("%.*s %s\n", (int)strcspn(usage, " "), usage, BML_VERSION);
    exit(0);
}

/* Ends the program where an option was given that this run would not ask: "--draws goes with --net bnn". */
static inline void option_needs(int argc, char **argv, const char *option, int asked, const char *with) {
    const size_t n = strlen(option);
    for (int i = 1; i < argc && !asked; i++)
        if (!strncmp(argv[i], option, n) && (!argv[i][n] || argv[i][n] == '=')) fail("%s goes with %s", option, with);
}

/* ==== threads ===================================================================================================== */

/* Of this thread, within a parallel loop; 0 elsewhere. */
static inline int thread_number(void) {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

/* The first number of a small file, and the second; 0 where there are none. */
static inline double number_in_file(const char *path, double *second) {
    char text[128] = "";
    double first = 0;
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    const size_t size = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[size] = 0;
    const size_t n = real_prefix(&first, text);
    const char *rest = text + n;
    while (*rest == ' ')
        rest++;
    if (second && !real_prefix(second, rest)) *second = 0;
    return n ? first : 0;
}

/* Processors that a container's quota leaves, rounded up; 0: no quota. */
static inline int quota_processors(void) {
    char path[PATH_SIZE] = "/sys/fs/cgroup/cpu.max";
    char line[512];
    double period = 0;
    double quota = number_in_file(path, &period);
    FILE *f = quota > 0 ? NULL : fopen("/proc/self/cgroup", "rb");
    while (f && fgets(line, sizeof line, f)) { /* "0::/the/group" */
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "0::", 3)) continue;
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", line + 3);
        quota = number_in_file(path, &period);
    }
    if (f) fclose(f);
    if (!(quota > 0)) {
        quota = number_in_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", NULL);
        period = number_in_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", NULL);
    }
    return quota > 0 && period > 0 ? (int)ceil(quota / period) : 0;
}

/* asked; where that is 0, OMP_NUM_THREADS, or all processors that this process may use: those it is bound to, at most
   SLURM_CPUS_PER_TASK and a container's quota. One without OpenMP. */
static inline int threads_or_all(long asked) {
#ifdef _OPENMP
    if (asked) return (int)asked;
    int most = omp_get_max_threads();
    if (getenv("OMP_NUM_THREADS")) return most;
    const char *slurm = getenv("SLURM_CPUS_PER_TASK");
    const int quota = quota_processors();
    long share = 0;
    const int told = slurm && !read_integer(&share, slurm);
    if (told && share > 0 && share < most) most = (int)share;
    return quota > 0 && quota < most ? quota : most;
#else
    (void)asked;
    return 1;
#endif
}

/* ==== stopping ====================================================================================================
   SIGINT, SIGTERM and a time limit ask a program to stop; it looks at stop_asked() often, keeps what it has, and ends.
   A second signal ends it at once. */

static inline volatile sig_atomic_t *stop_flag(void) {
    static volatile sig_atomic_t flag;
    return &flag;
}

/* 0, or the number of the signal; SIGALRM: the time limit. */
static inline int stop_asked(void) {
    return (int)*stop_flag();
}

static inline void stop_handler(int number) {
    *stop_flag() = number;
    if (number != SIGALRM) signal(number, SIG_DFL); /* the second time it is meant */
}

/* time_limit [s]; 0: none. */
static inline void stop_on_signals(double time_limit) {
    signal(SIGINT, stop_handler);
    signal(SIGTERM, stop_handler);
    if (!(time_limit > 0)) return;
    signal(SIGALRM, stop_handler);
    alarm((unsigned)ceil(time_limit));
}

/* ==== time and progress =========================================================================================== */

/* Seconds since some fixed moment. */
static inline double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct progress_bar {
    const char *what;
    double total;
    double start;
    double last;
    int shown; /* 1: a bar on a terminal, 2: lines elsewhere */
} progress_bar;

static const double progress_every = 30; /* [s] between lines where there is no terminal */

/* A bar on standard error; where that is no terminal, a line every 30 s; nothing where quiet is set. */
static inline void progress_begin(progress_bar *p, const char *what, double total, int quiet) {
    p->what = what;
    p->total = total;
    p->start = seconds_now();
    p->shown = isatty(STDERR_FILENO) ? 1 : 2;
    if (quiet) p->shown = 0;
    p->last = p->shown == 2 ? p->start : 0;
}

/* The bar as text: "sampling [=====>    ]  52 %, 0:41 left, note". */
static inline void progress_text(char *s, size_t size, const progress_bar *p, double done, double now,
                                 const char *note) {
    enum { WIDE = 30 };
    char bar[WIDE + 1];
    double fraction = p->total > 0 ? done / p->total : 1;
    if (!(fraction >= 0)) fraction = 0;
    if (fraction > 1) fraction = 1;
    const int reached = (int)(WIDE * fraction);
    for (int i = 0; i < WIDE; i++)
        bar[i] = i < reached ? '=' : ' ';
    if (fraction < 1) bar[reached] = '>';
    bar[WIDE] = 0;
    if (!note) note = "";
    const char *comma = *note ? ", " : "";
    const double percent = 100 * fraction;
    if (!(fraction > 0)) {
        snprintf(s, size, "%s [%s] %3.0f %%", p->what, bar, percent);
        return;
    }
    const double gone = now - p->start;
    const long left = lround(fmin(gone * (1 - fraction) / fraction, 1e8));
    snprintf(s, size, "%s [%s] %3.0f %%, %ld:%02ld left%s%s", p->what, bar, percent, left / 60, left % 60, comma, note);
}

static inline void progress_at(progress_bar *p, double done, const char *note) {
    char line[256];
    const double now = seconds_now();
    const int is_bar = p->shown == 1;
    const double every = is_bar ? 0.1 : progress_every;
    if (!p->shown || now - p->last < every) return;
    p->last = now;
    progress_text(line, sizeof line, p, done, now, note);
    fprintf(stderr, is_bar ? "\r%s\033[K" : "%s\n", line);
    fflush(stderr);
}

/* Removes the bar. */
static inline void progress_end(progress_bar *p) {
    if (p->shown == 1) fprintf(stderr, "\r\033[K");
    p->shown = 0;
}

/* ==== files that appear whole or not at all ======================================================================= */

/* The temporary name of an open file: all of them are listed, so that an early exit() leaves nothing behind. */
typedef struct out_name {
    struct out_name *next;
    char temporary[PATH_SIZE + 32];
} out_name;

typedef struct out_file {
    FILE *f; /* write here */
    char path[PATH_SIZE];
    char temporary[PATH_SIZE + 32];
    out_name *name;
} out_file;

static inline out_name **out_open_list(void) {
    static out_name *list;
    return &list;
}

static inline void out_forget(out_file *o) {
    out_name **link = out_open_list();
    while (*link && *link != o->name)
        link = &(*link)->next;
    if (*link) *link = o->name->next;
    free(o->name);
    o->name = NULL;
}

/* Closes and removes a file that is not to be. Harmless on one that is already closed. */
static inline void out_discard(out_file *o) {
    if (!o->f) return;
    fclose(o->f);
    o->f = NULL;
    remove(o->temporary);
    out_forget(o);
}

static inline void out_discard_all(void) {
    for (const out_name *n = *out_open_list(); n; n = n->next)
        remove(n->temporary);
}

/* Begins DIR/NAME under a temporary name beside it. From the first file on, one that outgrows its limit (ulimit -f) is an
   error of writing like a full disk, not a signal that kills. */
static inline int out_begin(out_file *o, const char *dir, const char *name, char *err) {
    static int registered;
    int n = snprintf(o->path, sizeof o->path, "%s/%s", dir, name);
    o->f = NULL;
    if (n >= (int)sizeof o->path) return error_set(err, "%.300s/...: %s", dir, strerror(ENAMETOOLONG));
    o->name = malloc(sizeof *o->name);
    if (!o->name) return error_set(err, "%.300s: out of memory", o->path);
    snprintf(o->temporary, sizeof o->temporary, "%s.tmp-%ld", o->path, (long)getpid());
    memcpy(o->name->temporary, o->temporary, sizeof o->temporary);
    o->f = fopen(o->temporary, "wb");
    if (!o->f) {
        const int reason = errno;
        free(o->name);
        errno = reason;
        return error_set(err, "%.300s: %s", o->path, strerror(reason));
    }
    if (!registered) registered = !atexit(out_discard_all);
#ifdef SIGXFSZ
    signal(SIGXFSZ, SIG_IGN);
#endif
    o->name->next = *out_open_list();
    *out_open_list() = o->name;
    return 0;
}

/* Files that are to appear together: written whole, still under their temporary names. */
typedef struct out_waiting {
    char path[PATH_SIZE + 300];
    char temporary[PATH_SIZE + 300];
    struct out_waiting *next;
} out_waiting;

typedef struct out_group {
    int open; /* out_together was called, out_publish not yet */
    out_waiting *first;
    out_waiting **last;
} out_group;

static inline out_group *out_the_group(void) {
    static out_group group;
    return &group;
}

/* Gives a whole file its name, or lets it wait for the others of its group. */
static inline int out_rename(const char *temporary, const char *path, char *err) {
    out_group *g = out_the_group();
    if (!g->open) {
        if (!rename(temporary, path)) return 0;
        error_set(err, "%.300s: %s", path, strerror(errno));
        remove(temporary);
        return -1;
    }
    out_waiting *w = calloc(1, sizeof *w);
    if (!w) {
        remove(temporary);
        return error_set(err, "%.300s: out of memory", path);
    }
    snprintf(w->path, sizeof w->path, "%s", path);
    snprintf(w->temporary, sizeof w->temporary, "%s", temporary);
    *g->last = w;
    g->last = &w->next;
    return 0;
}

/* Forgets the files that wait, and removes them. */
static inline void out_discard_group(void) {
    out_group *g = out_the_group();
    while (g->first) {
        out_waiting *w = g->first;
        g->first = w->next;
        remove(w->temporary);
        free(w);
    }
    g->last = &g->first;
    g->open = 0;
}

/* From here to out_publish() files keep their temporary names; if the program ends before, nothing has changed. */
static inline void out_together(void) {
    static int registered;
    out_discard_group();
    out_the_group()->open = 1;
    if (!registered) registered = !atexit(out_discard_group);
}

/* All files of the group get their names, in the order in which they were written. */
static inline int out_publish(char *err) {
    out_group *g = out_the_group();
    int bad = 0;
    for (out_waiting *w = g->first; w && !bad; w = w->next) {
        if (!rename(w->temporary, w->path)) continue;
        bad = error_set(err, "%.300s: %s", w->path, strerror(errno));
    }
    out_discard_group();
    return bad;
}

/* Closes the file and gives it its name, replacing an earlier one. On failure the earlier one stays. */
static inline int out_commit(out_file *o, char *err) {
    int reason = ferror(o->f) ? errno : 0; /* of the write that failed, if nothing has failed since */
    const int known = reason == ENOSPC || reason == EFBIG || reason == EDQUOT;
    if (ferror(o->f) && !known) reason = EIO;
    errno = 0;
    if (!reason && fflush(o->f)) reason = errno ? errno : EIO;
    if (reason) {
        out_discard(o);
        return error_set(err, "%.300s: %s", o->path, strerror(reason));
    }
    out_forget(o);
    if (fclose(o->f)) reason = errno;
    o->f = NULL;
    if (!reason) return out_rename(o->temporary, o->path, err);
    remove(o->temporary);
    return error_set(err, "%.300s: %s", o->path, strerror(reason));
}

/* Keeps a folder for this run, until the program ends; -1 where another run has it. */
static inline int out_lock(const char *dir, char *err) {
    const int folder = open(dir, O_RDONLY | O_CLOEXEC);
    if (folder < 0) return error_set(err, "%.300s: %s", dir, strerror(errno));
    const int refused = flock(folder, LOCK_EX | LOCK_NB);
    if (!refused || errno != EWOULDBLOCK) return 0; /* or a file system without locks */
    close(folder);
    return error_set(err, "%.300s: another run is writing there", dir);
}

/* Makes a folder with its parents and finds out whether files can be written there: before any work starts. */
static inline int out_folder(const char *dir, char *err) {
    char path[PATH_SIZE];
    if (!*dir || strlen(dir) >= sizeof path) return error_set(err, "'%.300s': no name for a folder", dir);
    snprintf(path, sizeof path, "%s", dir);
    for (char *s = path + 1; *s; s++) {
        if (*s != '/') continue;
        *s = 0;
        mkdir(path, 0777); /* what fails here fails again below */
        *s = '/';
    }
    const int refused = mkdir(path, 0777);
    if (refused && errno != EEXIST) return error_set(err, "%.300s: %s", dir, strerror(errno));
    out_file trial;
    if (out_begin(&trial, dir, ".trial", err))
        return error_set(err, "%.300s: cannot write there: %s", dir, strerror(errno));
    out_discard(&trial);
    return 0;
}

/* ==== JSON ========================================================================================================
   An object written member by member; NaN and infinity, which JSON lacks, become null. key is NULL inside a list. */

typedef struct json_writer {
    FILE *f;
    int depth;
    int members[16]; /* written so far at each depth */
    char close[16];
} json_writer;

static inline void json_string(FILE *f, const char *s) {
    fputc('"', f);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            fprintf(f, "\\%c", *s);
        else if ((unsigned char)*s < ' ')
            fprintf(f, "\\u%04x", (unsigned)(unsigned char)*s);
        else
            fputc(*s, f);
    }
    fputc('"', f);
}

static inline void json_key(json_writer *j, const char *key) {
    if (j->depth > 0) {
        int *members = &j->members[j->depth];
        const char *comma = *members ? "," : "";
        fprintf(j->f, "%s\n%*s", comma, 2 * j->depth, "");
        (*members)++;
    }
    if (!key) return;
    json_string(j->f, key);
    fputs(": ", j->f);
}

/* bracket is '{' or '['. */
static inline void json_open(json_writer *j, const char *key, char bracket) {
    json_key(j, key);
    fputc(bracket, j->f);
    j->depth++;
    j->members[j->depth] = 0;
    j->close[j->depth] = bracket == '{' ? '}' : ']';
}

static inline void json_close(json_writer *j) {
    int any = j->members[j->depth];
    int depth = j->depth--;
    if (any) fprintf(j->f, "\n%*s", 2 * j->depth, "");
    fputc(j->close[depth], j->f);
    if (!j->depth) fputc('\n', j->f);
}

static inline void json_text(json_writer *j, const char *key, const char *value) {
    json_key(j, key);
    if (value)
        json_string(j->f, value);
    else
        fputs("null", j->f);
}

static inline void json_real(json_writer *j, const char *key, double value) {
    json_key(j, key);
    if (isfinite(value))
        fprintf(j->f, "%.10g", value);
    else
        fputs("null", j->f);
}

static inline void json_integer(json_writer *j, const char *key, long long value) {
    json_key(j, key);
    fprintf(j->f, "%lld", value);
}

/* All options with their values: what was asked for, and the defaults of the rest. */
static inline void json_settings(json_writer *j, const char *key, const option_row *options) {
    char word[128];
    json_open(j, key, '{');
    for (const option_row *o = options; o->name; o++) {
        if (o->flag) {
            json_key(j, o->name);
            fputs(*o->flag ? "true" : "false", j->f);
        } else if (o->choice) {
            choice_word(word, sizeof word, o->value, *o->choice);
            json_text(j, o->name, word);
        } else if (o->integer) {
            json_integer(j, o->name, *o->integer);
        } else if (o->natural) {
            json_key(j, o->name);
            fprintf(j->f, "%llu", (unsigned long long)*o->natural);
        } else if (o->real) {
            json_real(j, o->name, *o->real);
        } else if (o->text) {
            json_text(j, o->name, *o->text);
        } else if (o->list) {
            json_open(j, o->name, '[');
            for (int i = 0; i < o->list->n; i++)
                json_text(j, NULL, o->list->item[i]);
            json_close(j);
        }
    }
    json_close(j);
}

/* ---- SHA-256 (FIPS 180-4), as sha256sum prints it ---- */

typedef struct sha256 {
    uint32_t state[8];
    unsigned char block[64];
    uint64_t bytes;
} sha256;

static inline uint32_t sha256_turn(uint32_t x, int n) {
    return (x >> n) | (x << (32 - n));
}

/* The first 32 bits of the fractions of the cube roots of the first 64 primes, and of the square roots of the first 8.
   */
static const uint32_t sha256_cube_roots[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
static const uint32_t sha256_square_roots[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static inline void sha256_block(sha256 *h) {
    uint32_t w[64];
    uint32_t v[8];
    memcpy(v, h->state, sizeof v);
    for (int i = 0; i < 16; i++) {
        w[i] = 0;
        for (int k = 0; k < 4; k++)
            w[i] = w[i] << 8 | h->block[4 * i + k];
    }
    for (int i = 16; i < 64; i++) {
        const uint32_t a = w[i - 15];
        const uint32_t b = w[i - 2];
        const uint32_t s0 = sha256_turn(a, 7) ^ sha256_turn(a, 18) ^ (a >> 3);
        const uint32_t s1 = sha256_turn(b, 17) ^ sha256_turn(b, 19) ^ (b >> 10);
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    for (int i = 0; i < 64; i++) {
        const uint32_t a = v[0];
        const uint32_t e = v[4];
        const uint32_t s1 = sha256_turn(e, 6) ^ sha256_turn(e, 11) ^ sha256_turn(e, 25);
        const uint32_t choice = (e & v[5]) ^ (~e & v[6]);
        const uint32_t t1 = v[7] + s1 + choice + sha256_cube_roots[i] + w[i];
        const uint32_t s0 = sha256_turn(a, 2) ^ sha256_turn(a, 13) ^ sha256_turn(a, 22);
        const uint32_t majority = (a & (v[1] | v[2])) | (v[1] & v[2]);
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + s0 + majority;
    }
    for (int i = 0; i < 8; i++)
        h->state[i] += v[i];
}

static inline void sha256_add(sha256 *h, const void *data, size_t size) {
    const unsigned char *byte = data;
    for (size_t i = 0; i < size; i++) {
        h->block[h->bytes++ % 64] = byte[i];
        if (h->bytes % 64 == 0) sha256_block(h);
    }
}

/* The digest as 64 hexadecimal digits. */
static inline void sha256_text(char text[65], sha256 *h) {
    static const unsigned char one = 0x80;
    static const unsigned char zero = 0;
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(8 * h->bytes >> (56 - 8 * i));
    sha256_add(h, &one, 1);
    while (h->bytes % 64 != 56)
        sha256_add(h, &zero, 1);
    sha256_add(h, length, 8);
    for (int i = 0; i < 8; i++)
        snprintf(text + 8 * i, 9, "%08lx", (unsigned long)h->state[i]);
}

/* Of a file; an empty text where it cannot be read. */
static inline void sha256_file(char text[65], const char *path) {
    unsigned char data[4096];
    sha256 h = {.bytes = 0};
    FILE *f = fopen(path, "rb");
    text[0] = 0;
    if (!f) return;
    memcpy(h.state, sha256_square_roots, sizeof h.state);
    size_t n;
    do {
        n = fread(data, 1, sizeof data, f);
        sha256_add(&h, data, n);
    } while (n > 0);
    if (!ferror(f)) sha256_text(text, &h);
    fclose(f);
}

/* "files": the sums of the files that wait for out_publish. */
static inline void json_files(json_writer *j) {
    char sum[65];
    const out_group *g = out_the_group();
    if (!g->open) return;
    json_open(j, "sha256", '{');
    for (const out_waiting *w = g->first; w; w = w->next) {
        const char *name = strrchr(w->path, '/');
        sha256_file(sum, w->temporary);
        json_text(j, name ? name + 1 : w->path, sum);
    }
    json_close(j);
}

/* One entry of run.json beside the settings: a number, or a text where that is given. */
typedef struct run_entry {
    const char *name; /* NULL ends a list */
    double number;
    const char *text;
} run_entry;

typedef struct run_info {
    const char *program;
    const option_row *options;
    const char *input; /* file that was read, or NULL */
    uint64_t seed;
    double seconds;                               /* wall time of the run */
    const run_entry *results;                     /* counts and whatever else is worth keeping; may be NULL */
    void (*more)(json_writer *j, const void *of); /* writes further members; may be NULL (verdict_json of verdict.h) */
    const void *more_of;
} run_info;

/* DIR/run.json: program, version, input, settings, seed, seconds, results; in a group, the sums of its files: write it
   last. */
static inline int run_write(const char *dir, const run_info *run, char *err) {
    json_writer j = {0};
    out_file o;
    if (out_begin(&o, dir, "run.json", err)) return -1;
    j.f = o.f;
    json_open(&j, NULL, '{');
    json_text(&j, "program", run->program);
    json_text(&j, "version", BML_VERSION);
    json_text(&j, "input", run->input);
    json_settings(&j, "settings", run->options);
    json_key(&j, "seed");
    fprintf(j.f, "%llu", (unsigned long long)run->seed);
    json_real(&j, "seconds", run->seconds);
    json_open(&j, "results", '{');
    for (const run_entry *e = run->results; e && e->name; e++) {
        if (e->text)
            json_text(&j, e->name, e->text);
        else
            json_real(&j, e->name, e->number);
    }
    json_close(&j);
    if (run->more) run->more(&j, run->more_of);
    json_files(&j);
    json_close(&j);
    return out_commit(&o, err);
}

/* ==== arrays and tables =========================================================================================== */

/* DIR/NAME as NumPy .npy (format 1.0, float64, row-major): data[shape[0]][shape[1]]... */
static inline int npy_write(const char *dir, const char *name, const double *data, const long *shape, int n_dim,
                            char *err) {
    char header[512];
    const uint16_t one = 1;
    int little = *(const unsigned char *)&one;
    size_t count = 1;
    int n = snprintf(header, 256, "{'descr': '%cf8', 'fortran_order': False, 'shape': (", little ? '<' : '>');
    for (int i = 0; i < n_dim; i++) {
        const int bad = n_dim > 8 || shape[i] < 0;
        const size_t rows = bad ? 0 : (size_t)shape[i];
        const int overflows = rows && count > SIZE_MAX / sizeof(double) / rows;
        if (bad || overflows) return error_set(err, "%.300s/%.100s: impossible shape", dir, name);
        count *= rows;
        n += snprintf(header + n, 32, i ? " %ld," : "%ld,", shape[i]);
    }
    n += snprintf(header + n, 8, "), }");
    size_t length = (size_t)((10 + n + 1 + 63) / 64 * 64 - 10); /* data start at a multiple of 64 */
    memset(header + n, ' ', length - (size_t)n);
    header[length - 1] = '\n';
    out_file o;
    if (out_begin(&o, dir, name, err)) return -1;
    fwrite("\x93NUMPY\x01\x00", 1, 8, o.f);
    fputc((int)(length & 255), o.f);
    fputc((int)(length >> 8), o.f);
    fwrite(header, 1, length, o.f);
    fwrite(data, sizeof(double), count, o.f);
    return out_commit(&o, err);
}

/* The lead and header [4096] of such a file; -1: it is none. */
static inline int npy_header(char *header, FILE *f) {
    unsigned char lead[10];
    if (fread(lead, 1, 10, f) != 10) return -1;
    if (memcmp(lead, "\x93NUMPY\x01\x00", 8)) return -1;
    const size_t length = lead[8] + 256u * lead[9];
    if (length == 0 || length >= 4096) return -1;
    if (fread(header, 1, length, f) != length) return -1;
    header[length] = 0;
    return 0;
}

/* What the header says; *count: how many numbers there are. */
static inline int npy_shape(long *shape, int *n_dim, size_t *count, const char *header) {
    const uint16_t one = 1;
    const char *native = *(const unsigned char *)&one ? "<f8" : ">f8";
    char descr[8] = "";
    const char *s = strstr(header, "'shape': (");
    if (!s || !strstr(header, "'fortran_order': False")) return -1;
    if (sscanf(header, "{'descr': '%3[<>f8]'", descr) != 1) return -1;
    if (strcmp(descr, native)) return -1;
    *count = 1;
    for (s += 10; *n_dim < 4 && *s != ')'; (*n_dim)++) {
        char *end;
        const long rows = strtol(s, &end, 10);
        if (end == s || rows < 1) return -1;
        if (*count > SIZE_MAX / 16 / (size_t)rows) return -1;
        shape[*n_dim] = rows;
        *count *= (size_t)rows;
        s = end + strspn(end, ", ");
    }
    return *s == ')' && *n_dim > 0 ? 0 : -1;
}

/* The numbers, and nothing after them. NULL: not so, or, with *no_memory, no room. */
static inline double *npy_numbers(size_t count, FILE *f, int *no_memory) {
    double *data = malloc(count * sizeof *data);
    *no_memory = !data;
    if (!data) return NULL;
    const size_t got = fread(data, sizeof *data, count, f);
    if (got == count && fgetc(f) == EOF) return data;
    free(data);
    return NULL;
}

/* Reads such a file back: *data [shape[0]]... is the caller's, *n_dim <= 4. Only what npy_write writes. */
static inline int npy_read(double **data, long *shape, int *n_dim, const char *dir, const char *name, char *err) {
    char path[PATH_SIZE];
    char header[4096];
    size_t count;
    int no_memory = 0;
    *data = NULL;
    *n_dim = 0;
    const int length = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (length >= (int)sizeof path) return error_set(err, "%.300s: too long", dir);
    FILE *f = fopen(path, "rb");
    if (!f) return error_set(err, "%.300s: %s", path, strerror(errno));
    int bad = npy_header(header, f);
    if (!bad) bad = npy_shape(shape, n_dim, &count, header);
    if (!bad) *data = npy_numbers(count, f, &no_memory);
    fclose(f);
    if (*data) return 0;
    if (no_memory) return error_set(err, "%.300s: out of memory", path);
    return error_set(err, "%.300s: no array as these programs write it", path);
}

/* A field of a CSV line; quoted where it must be. */
static inline void csv_text(FILE *f, const char *s) {
    if (!strpbrk(s, ",\"\r\n")) {
        fputs(s, f);
        return;
    }
    fputc('"', f);
    for (; *s; s++)
        fprintf(f, *s == '"' ? "\"%c" : "%c", *s);
    fputc('"', f);
}

/* DIR/NAME: a header line, then values[rows][columns]. */
static inline int csv_write(const char *dir, const char *name, const char *header, const double *values, long rows,
                            int columns, char *err) {
    out_file o;
    if (out_begin(&o, dir, name, err)) return -1;
    fprintf(o.f, "%s\n", header);
    for (long i = 0; i < rows; i++) {
        const double *row = values + i * columns;
        for (int k = 0; k < columns; k++) {
            const char after = k + 1 < columns ? ',' : '\n';
            fprintf(o.f, "%.9g%c", row[k], after);
        }
    }
    return out_commit(&o, err);
}

/* ==== prior files =================================================================================================
   CSV lines `name,kind,a,b[,c,d]`; # begins a comment line, a first line `name,kind,...` is skipped:
       log_R,uniform,14,17                  lower, upper
       t_var,loguniform,1e3,1e6             lower, upper
       log_delta,normal,1.3,0.2             mean, sd
       p,truncnormal,2.2,0.3,1.5,3          mean, sd, lower, upper
       log_B,table,field.csv                a file beside this one, lines x,density: x ascending, any normalisation */

enum { PRIOR_UNIFORM, PRIOR_LOG_UNIFORM, PRIOR_NORMAL, PRIOR_TABLE }; /* kinds as in bml_mcmc.h */
enum { PRIOR_MAX = 64 };

typedef struct prior_row {
    char name[32];
    int kind;
    double lower; /* both zero: no limits (normal) */
    double upper;
    double mean; /* normal */
    double sd;
    double *x;       /* [n] table */
    double *density; /* [n] */
    int n;
    long line; /* in the file, for messages */
} prior_row;

typedef struct prior_file {
    char name[PATH_SIZE];
    prior_row row[PRIOR_MAX];
    int n;
} prior_file;

static inline void prior_free(prior_file *p) {
    for (int i = 0; i < p->n; i++) {
        free(p->row[i].x);
        free(p->row[i].density);
    }
    p->n = 0;
}

/* Room for a line more; *room lines are there. */
static inline int prior_table_grow(prior_row *row, int *room, const text_file *t, char *err) {
    if (row->n < *room) return 0;
    if (*room > 1 << 20) return text_error(err, t, "more than %d lines", *room);
    *room = *room ? 2 * *room : 64;
    const size_t size = (size_t)*room * sizeof *row->x;
    double *x = realloc(row->x, size);
    if (x) row->x = x;
    double *density = realloc(row->density, size);
    if (density) row->density = density;
    if (!x || !density) return error_set(err, "out of memory");
    return 0;
}

/* Reads lines x,density into the row, which owns them even after an error. */
static inline int prior_table_text(prior_row *row, text_file *t, char *err) {
    double sum = 0;
    int room = 0;
    for (char *line = text_line(t); line; line = text_line(t)) {
        char *field[2];
        double x;
        double density;
        line = trim(line);
        const int is_head = row->n == 0 && !strncmp(line, "x,", 2);
        if (!*line || *line == '#' || is_head) continue;
        if (split(field, 2, line, ',') != 2) return text_error(err, t, "needs two fields, x,density");
        const char *wrong = read_real(&x, field[0]);
        if (!wrong) wrong = read_real(&density, field[1]);
        if (wrong) return text_error(err, t, "x or density %s", wrong);
        if (density < 0) return text_error(err, t, "density %g is negative", density);
        const int ascends = row->n == 0 || x > row->x[row->n - 1];
        if (!ascends) return text_error(err, t, "x must ascend");
        if (prior_table_grow(row, &room, t, err)) return -1;
        row->x[row->n] = x;
        row->density[row->n] = density;
        row->n++;
        sum += density;
    }
    if (row->n < 2 || !(sum > 0)) return text_error(err, t, "needs two lines or more, with some density above zero");
    row->lower = row->x[0];
    row->upper = row->x[row->n - 1];
    return 0;
}

/* The table's file, beside the prior file. */
static inline int prior_table(prior_row *row, const text_file *prior, const char *file, char *err) {
    char path[2 * PATH_SIZE];
    const char *slash = strrchr(prior->name, '/');
    int folder = slash && *file != '/' ? (int)(slash - prior->name) + 1 : 0;
    snprintf(path, sizeof path, "%.*s%.*s", folder, prior->name, PATH_SIZE, file);
    text_file t;
    if (text_open(&t, path, err)) return -1;
    int bad = prior_table_text(row, &t, err);
    text_close(&t);
    return bad;
}

typedef struct prior_kind {
    const char *name;
    int kind;
    int n; /* values that it takes */
} prior_kind;
static const prior_kind prior_kinds[] = {
    {"uniform", PRIOR_UNIFORM, 2}, {"loguniform", PRIOR_LOG_UNIFORM, 2},
    {"normal", PRIOR_NORMAL, 2},   {"truncnormal", PRIOR_NORMAL, 4},
    {"table", PRIOR_TABLE, 1},
};

static inline const prior_kind *prior_kind_of(const char *name) {
    for (size_t k = 0; k < sizeof prior_kinds / sizeof *prior_kinds; k++)
        if (!strcmp(name, prior_kinds[k].name)) return &prior_kinds[k];
    return NULL;
}

/* value [4]: what the line says. */
static inline int prior_set(prior_row *row, const prior_kind *k, const double *value, const text_file *t, char *err) {
    const int is_normal = k->kind == PRIOR_NORMAL;
    const double *limits = is_normal ? value + 2 : value;
    row->lower = limits[0];
    row->upper = limits[1];
    if (is_normal) {
        row->mean = value[0];
        row->sd = value[1];
        if (!(row->sd > 0)) return text_error(err, t, "sd %g must be positive", row->sd);
        if (k->n == 2) return 0; /* no limits */
    }
    if (!(row->lower < row->upper))
        return text_error(err, t, "lower end %g must be below upper end %g", row->lower, row->upper);
    if (k->kind == PRIOR_LOG_UNIFORM && !(row->lower > 0))
        return text_error(err, t, "lower end %g must be positive", row->lower);
    return 0;
}

/* One line, split into fields. tables says whether a table's file may be opened. */
static inline int prior_line(prior_row *row, text_file *t, char **field, int n, int tables, char *err) {
    double value[4] = {0, 0, 0, 0};
    const char *kind = n > 1 ? field[1] : "";
    const prior_kind *k = prior_kind_of(kind);
    if (!k) return text_error(err, t, "'%.40s' is none of uniform, loguniform, normal, truncnormal, table", kind);
    if (n != 2 + k->n) return text_error(err, t, "%s takes %d values, here are %d", k->name, k->n, n - 2);
    if (!*field[0] || strlen(field[0]) >= sizeof row->name)
        return text_error(err, t, "'%.40s' is no name of a parameter", field[0]);
    strcpy(row->name, field[0]);
    row->kind = k->kind;
    row->line = t->line;
    if (row->kind == PRIOR_TABLE) {
        if (tables) return prior_table(row, t, field[2], err);
        return text_error(err, t, "a table needs a file");
    }
    for (int i = 0; i < k->n; i++) {
        const char *wrong = read_real(&value[i], field[2 + i]);
        if (wrong) return text_error(err, t, "'%.40s' %s", field[2 + i], wrong);
    }
    return prior_set(row, k, value, t, err);
}

/* One line that holds something, as the next row. */
static inline int prior_add(prior_file *p, text_file *t, char *line, int tables, char *err) {
    char *field[6];
    int n = split(field, 6, line, ',');
    while (n > 0 && n <= 6 && !*field[n - 1])
        n--; /* empty fields at the end */
    if (n < 0) return text_error(err, t, "a quote is not closed");
    if (n > 6) return text_error(err, t, "too many fields");
    if (p->n == PRIOR_MAX) return text_error(err, t, "more than %d priors", PRIOR_MAX);
    prior_row *row = &p->row[p->n];
    p->n++;
    if (prior_line(row, t, field, n, tables, err)) return -1;
    for (const prior_row *other = p->row; other < row; other++) {
        const int same = !strcmp(other->name, row->name);
        if (same) return text_error(err, t, "'%s' has a prior already, in line %ld", other->name, other->line);
    }
    return 0;
}

/* Reads all lines of t and closes it. */
static inline int prior_text(prior_file *p, text_file *t, int tables, char *err) {
    int bad = 0;
    memset(p, 0, sizeof *p);
    memcpy(p->name, t->name, sizeof p->name);
    for (char *line = text_line(t); line && !bad; line = text_line(t)) {
        line = trim(line);
        const int is_head = p->n == 0 && !strncmp(line, "name,", 5);
        if (!*line || *line == '#' || is_head) continue;
        bad = prior_add(p, t, line, tables, err);
    }
    if (t->line == 0) t->line = 1;
    if (!bad && p->n == 0) bad = text_error(err, t, "no priors");
    text_close(t);
    if (bad) prior_free(p);
    return bad;
}

/* Reads a prior file. Free it with prior_free. */
static inline int prior_read(prior_file *p, const char *path, char *err) {
    p->n = 0;
    text_file t;
    if (text_open(&t, path, err)) return -1;
    return prior_text(p, &t, 1, err);
}

/* The same from memory, where tables cannot be had. */
static inline int prior_read_memory(prior_file *p, const void *data, size_t size, const char *name, char *err) {
    p->n = 0;
    text_file t;
    if (text_copy(&t, data, size, name, err)) return -1;
    return prior_text(p, &t, 0, err);
}

/* The prior of a parameter, or NULL. */
static inline const prior_row *prior_find(const prior_file *p, const char *name) {
    for (int i = 0; i < p->n; i++)
        if (!strcmp(p->row[i].name, name)) return &p->row[i];
    return NULL;
}

/* Refuses names that are not among names[n]. */
static inline int prior_check_names(const prior_file *p, const char *const *names, int n, char *err) {
    for (int i = 0; i < p->n; i++) {
        const prior_row *row = &p->row[i];
        int k = 0;
        while (k < n && strcmp(row->name, names[k]))
            k++;
        if (k == n) return error_at(err, p->name, row->line, "no parameter is called '%s'", row->name);
    }
    return 0;
}

/* Fills a bml_mcmc_prior_param, all but its bounds, from a row, which keeps what the pointers point to. A macro, as
   bml_mcmc.h comes after this file, or not at all. */
#define PRIOR_PARAM(param, row)                                                                                      \
    ((param)->kind = (row)->kind, (param)->lower = (row)->lower, (param)->upper = (row)->upper,                      \
     (param)->mean = (row)->mean, (param)->sd = (row)->sd, (param)->x = (row)->x, (param)->density = (row)->density, \
     (param)->n = (row)->n)

/* ==== pictures ====================================================================================================
   A picture is a gnuplot script that holds its data, DIR/NAME.gp; gnuplot makes DIR/NAME.png of it. Change the script
   and run `gnuplot NAME.gp` in DIR to have it otherwise. Colours: Okabe & Ito, distinct to all eyes. Texts called label
   take gnuplot's markup (log_{10} R, {/Symbol g}_{min}); other texts are shown as they are. */

static const char *const plot_colours[] = {"#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#7A5195", "#000000"};

/* A text as gnuplot's 'string'. */
static inline void plot_text(FILE *f, const char *s) {
    fputc('\'', f);
    for (; *s; s++)
        fprintf(f, *s == '\'' ? "'%c" : "%c", *s);
    fputc('\'', f);
}

/* Begins DIR/NAME.gp: the picture's file name, size [pixel] and font size [point]. A picture whose name ends in .pdf is a
   PDF page of the same proportions, 100 pixels to the inch: gnuplot -e "picture='NAME.pdf'" NAME.gp */
static inline int plot_begin(out_file *o, const char *dir, const char *name, int width, int height, int font,
                             char *err) {
    char script[256];
    snprintf(script, sizeof script, "%.200s.gp", name);
    if (out_begin(o, dir, script, err)) return -1;
    fprintf(o->f, "# gnuplot %s.gp makes %s.png\n", name, name);
    char picture[256];
    snprintf(picture, sizeof picture, "%.200s.png", name);
    fprintf(o->f, "if (!exists('picture')) picture = ");
    plot_text(o->f, picture);
    fputc('\n', o->f);
    fprintf(o->f, "size_and_font = \"size %d,%d font 'Sans,%d'\"\n", width, height, font);
    fprintf(o->f, "paper_and_font = \"size %.2fin,%.2fin font 'Sans,%.1f'\"\n", width / 100.0, height / 100.0,
            0.95 * font);
    fprintf(o->f,
            "if (picture[strlen(picture)-3:] eq '.pdf') { eval 'set terminal pdfcairo enhanced ' . paper_and_font } "
            "else { if (strstrt(GPVAL_TERMINALS, 'pngcairo')) { eval 'set terminal pngcairo enhanced background "
            "\"white\" ' . size_and_font } "
            "else { eval 'set terminal png enhanced truecolor ' . size_and_font } }\n"
            "set encoding utf8\nset output picture\n");
    return 0;
}

/* Runs gnuplot in DIR on a script there, for DIR/NAME.png or .pdf. Returns 0, 1 when gnuplot is not installed, -1. */
static inline int plot_run(const char *dir, const char *name, const char *script, const char *ending, char *err) {
    char drawn[256];
    char define[300];
    char from[PATH_SIZE + 300];
    char to[PATH_SIZE + 300];
    int status = 0;
    snprintf(drawn, sizeof drawn, "%.200s.tmp-%ld.%s", name, (long)getpid(), ending);
    for (char *c = drawn; *c; c++)
        if (*c == '\'') {
            *c = '_'; /* it would end the text that gnuplot is given */
        }
    snprintf(define, sizeof define, "picture='%s'", drawn);
    snprintf(from, sizeof from, "%.*s/%s", PATH_SIZE, dir, drawn);
    snprintf(to, sizeof to, "%.*s/%.200s.%s", PATH_SIZE, dir, name, ending);
    pid_t child = fork();
    if (child == 0) {
        int quiet = open("/dev/null", O_WRONLY);
        if (quiet >= 0) {
            dup2(quiet, 1);
            dup2(quiet, 2);
        }
        if (!chdir(dir)) execlp("gnuplot", "gnuplot", "-e", define, script, (char *)NULL);
        _exit(127);
    }
    if (child < 0) return error_set(err, "%.300s: cannot run gnuplot: %s", to, strerror(errno));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        if (stop_asked()) kill(child, SIGTERM);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) return 1;
    if (status == 0) return out_rename(from, to, err);
    remove(from);
    return error_set(err, "%.300s: gnuplot failed on %s", to, script);
}

/* Ends the script and runs it. Returns 0, or 1 when gnuplot is not installed: the script is there, not the picture. */
static inline int plot_end(out_file *o, const char *dir, const char *name, char *err) {
    fprintf(o->f, "unset output\n");
    if (out_commit(o, err)) return -1;
    const char *path = out_the_group()->open ? o->temporary : o->path;
    const char *slash = strrchr(path, '/');
    return plot_run(dir, name, slash ? slash + 1 : path, "png", err);
}

/* After plot_end: the same script once more, for DIR/NAME.pdf. Returns as plot_end. */
static inline int plot_pdf(const char *dir, const char *name, char *err) {
    char script[256];
    snprintf(script, sizeof script, "%.200s.gp", name);
    return plot_run(dir, name, script, "pdf", err);
}

/* Up to three round numbers inside (lo, hi), two where three would run into each other, at the least two where that can
   be: "set <axis>tics (...)". */
static inline void plot_ticks(FILE *f, const char *axis, double lo, double hi) {
    static const double steps[] = {1, 2, 4, 5};
    enum { ROOM = 20 }; /* characters below a panel */
    static const double tens[] = {1, 10, 100};
    const double unit = pow(10, floor(log10(hi - lo)) - 1);
    const double margin = 0.03 * (hi - lo);
    const double last = hi - margin;
    double step = unit;
    double first = lo;
    int n = 4;
    int collide = 0;
    for (int k = 0; n > 3 || (n == 3 && collide); k++) {
        const int decade = k / 4 < 2 ? k / 4 : 2;
        step = unit * steps[k % 4] * tens[decade];
        first = ceil((lo + margin) / step) * step;
        n = 0;
        if (!(first > last)) n = 1 + (int)((last - first) / step);
        const int wide = snprintf(NULL, 0, "%g", first + step);
        collide = 3 * (wide + 1) > ROOM;
    }
    fprintf(f, "set %stics (", axis);
    for (int k = 0; k < n; k++) {
        double at = first + k * step;
        if (fabs(at) < 1e-9 * step) at = 0;
        fprintf(f, "%s%.10g", k ? ", " : "", at);
    }
    fprintf(f, ")\n");
}

/* ---- corner plot: histograms of each parameter, densities of each pair ---- */

typedef struct plot_chain {
    const char *name;     /* for the key; NULL: none */
    const double *sample; /* [n][n_dim] */
    long n;
} plot_chain;

typedef struct plot_corner {
    int n_dim;                /* up to PLOT_DIM_MAX */
    const char *const *label; /* [n_dim], markup: "log_{10} R" */
    const char *const *unit;  /* [n_dim], "cm"; NULL or "": none */
    const double *median;     /* [n_dim] of the titles; NULL: from the first chain */
    const double *minus;
    const double *plus;
    plot_chain chain;  /* densities, and contours at 50 % and 90 % of the samples */
    plot_chain second; /* contours only; .sample = NULL: none */
} plot_corner;

enum { PLOT_DIM_MAX = 12 };
enum { PLOT_GRID = 56 };
enum { PLOT_CELLS = PLOT_GRID * PLOT_GRID };
enum { PLOT_BINS = 32 };

/* What the drawing needs to know of one parameter. */
typedef struct plot_axis {
    double lo; /* of the picture */
    double hi;
    double median; /* of the first chain: the 68 % interval */
    double minus;
    double plus;
} plot_axis;

static inline int plot_compare(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear interpolation between the sorted values. */
static inline double plot_quantile(const double *sorted, long n, double q) {
    const double at = q * (double)(n - 1);
    const long i = (long)at;
    if (i + 1 >= n) return sorted[n - 1];
    const double share = at - (double)i;
    return sorted[i] + share * (sorted[i + 1] - sorted[i]);
}

/* Extends the axis over parameter k of a chain; sorted[n] is scratch. */
static inline void plot_axis_over(plot_axis *a, const plot_chain *c, int k, int n_dim, double *sorted) {
    for (long i = 0; i < c->n; i++)
        sorted[i] = c->sample[i * n_dim + k];
    qsort(sorted, (size_t)c->n, sizeof *sorted, plot_compare);
    double lo = plot_quantile(sorted, c->n, 0.003);
    double hi = plot_quantile(sorted, c->n, 0.997);
    if (!(a->lo <= a->hi)) { /* the first chain */
        a->median = plot_quantile(sorted, c->n, 0.5);
        a->minus = a->median - plot_quantile(sorted, c->n, 0.15866);
        a->plus = plot_quantile(sorted, c->n, 0.84134) - a->median;
        a->lo = lo;
        a->hi = hi;
    }
    a->lo = fmin(a->lo, lo);
    a->hi = fmax(a->hi, hi);
}

/* Histogram of parameter k, highest bin 1, as a gnuplot data block. */
static inline void plot_histogram(FILE *f, const char *block, const plot_chain *c, int k, int n_dim,
                                  const plot_axis *a) {
    double count[PLOT_BINS] = {0};
    double highest = 1;
    double width = (a->hi - a->lo) / PLOT_BINS;
    for (long i = 0; i < c->n; i++) {
        double at = (c->sample[i * n_dim + k] - a->lo) / width;
        if (at >= 0 && at < PLOT_BINS) count[(int)at] += 1;
    }
    for (int b = 0; b < PLOT_BINS; b++)
        highest = fmax(highest, count[b]);
    fprintf(f, "$%s_%d << EOD\n", block, k);
    for (int b = 0; b < PLOT_BINS; b++) { /* the steps themselves, so that one polygon fills them */
        const double left = a->lo + b * width;
        const double right = a->lo + (b + 1) * width;
        const double height = count[b] / highest;
        fprintf(f, "%.8g %.5g\n%.8g %.5g\n", left, height, right, height);
    }
    fprintf(f, "EOD\n");
}

/* One pass of smoothing along rows (stride 1) or columns (stride PLOT_GRID) with a Gaussian of sigma bins, cut and
   renormalised at the edges of the grid. */
static inline void plot_smooth(double *to, const double *from, double sigma, int stride) {
    int across = stride == 1 ? PLOT_GRID : 1;
    int reach = (int)ceil(3 * sigma);
    for (int line = 0; line < PLOT_GRID; line++)
        for (int i = 0; i < PLOT_GRID; i++) {
            double sum = 0;
            double weight = 0;
            for (int d = -reach; d <= reach; d++) {
                double w = exp(-0.5 * d * d / (sigma * sigma));
                if (i + d < 0 || i + d >= PLOT_GRID) continue;
                sum += w * from[line * across + (i + d) * stride];
                weight += w;
            }
            to[line * across + i * stride] = sum / weight;
        }
}

/* Where x lies in an axis's PLOT_GRID bins. */
static inline double plot_bin(const plot_axis *a, double x) {
    return (x - a->lo) / (a->hi - a->lo) * PLOT_GRID;
}

/* Width of a bin, and the middle of the first. */
static inline double plot_step(const plot_axis *a) {
    return (a->hi - a->lo) / PLOT_GRID;
}
static inline double plot_first(const plot_axis *a) {
    return a->lo + plot_step(a) / 2;
}

/* Bin counts of the pair (x, y), smoothed by Scott's rule in two dimensions; g[PLOT_GRID][PLOT_GRID], y then x. */
static inline void plot_density(double *g, const plot_chain *c, int x, int y, int n_dim, const plot_axis *axes) {
    double passed[PLOT_CELLS];
    double sum[2] = {0, 0};
    double square[2] = {0, 0};
    double n = 0;
    memset(g, 0, sizeof passed);
    for (long i = 0; i < c->n; i++) {
        const double *row = c->sample + i * n_dim;
        double at[2];
        at[0] = plot_bin(&axes[x], row[x]);
        at[1] = plot_bin(&axes[y], row[y]);
        const int inside_x = at[0] >= 0 && at[0] < PLOT_GRID;
        const int inside_y = at[1] >= 0 && at[1] < PLOT_GRID;
        if (!inside_x || !inside_y) continue;
        const int cell = (int)at[1] * PLOT_GRID + (int)at[0];
        g[cell] += 1;
        for (int s = 0; s < 2; s++) {
            sum[s] += at[s];
            square[s] += at[s] * at[s];
        }
        n += 1;
    }
    if (n < 1) return;
    for (int s = 0; s < 2; s++) {
        const double mean = sum[s] / n;
        const double variance = square[s] / n - sum[s] / n * mean;
        const double sd = sqrt(fmax(variance, 0));
        const double sigma = fmin(fmax(sd * pow(n, -1.0 / 6), 0.8), 4);
        plot_smooth(passed, g, sigma, s == 0 ? 1 : PLOT_GRID);
        memcpy(g, passed, sizeof passed);
    }
}

/* The density above which the given fraction of all samples lies. */
static inline double plot_level(const double *g, double fraction) {
    double sorted[PLOT_CELLS];
    double total = 0;
    double sum = 0;
    memcpy(sorted, g, sizeof sorted);
    qsort(sorted, PLOT_CELLS, sizeof *sorted, plot_compare);
    for (int i = 0; i < PLOT_CELLS; i++)
        total += sorted[i];
    for (int i = PLOT_CELLS - 1; i > 0; i--) {
        sum += sorted[i];
        if (sum >= fraction * total) return sorted[i];
    }
    return sorted[0];
}

/* The density of a pair as block $<block>_y_x, its 50 % and 90 % contours as $<block>c_y_x. */
static inline void plot_pair(FILE *f, const char *block, const plot_chain *c, int x, int y, int n_dim,
                             const plot_axis *axes) {
    double g[PLOT_CELLS];
    const plot_axis *ax = &axes[x];
    const plot_axis *ay = &axes[y];
    double highest = 0;
    plot_density(g, c, x, y, n_dim, axes);
    for (int i = 0; i < PLOT_CELLS; i++)
        highest = fmax(highest, g[i]);
    if (highest > 0)
        for (int i = 0; i < PLOT_CELLS; i++)
            g[i] /= highest;
    fprintf(f, "$%s_%d_%d << EOD\n", block, y, x);
    for (int i = 0; i < PLOT_CELLS; i++) {
        const int ends_row = i % PLOT_GRID == PLOT_GRID - 1;
        fprintf(f, "%.3g%c", g[i], ends_row ? '\n' : ' ');
    }
    fprintf(f, "EOD\n");
    fprintf(f, "set cntrparam levels discrete %.6g, %.6g\n", plot_level(g, 0.5), plot_level(g, 0.9));
    fprintf(f, "set table $%sc_%d_%d\n", block, y, x);
    fprintf(f, "splot $%s_%d_%d matrix ", block, y, x);
    fprintf(f, "using (%.8g+$1*%.8g):(%.8g+$2*%.8g):3\n", plot_first(ax), plot_step(ax), plot_first(ay), plot_step(ay));
    fprintf(f, "unset table\n");
}

/* "label = median +plus -minus" with two digits of the smaller error. */
static inline void plot_corner_title(FILE *f, const char *label, const plot_axis *a) {
    const double least = fmin(a->minus, a->plus);
    int digits = least > 0 ? 1 - (int)floor(log10(least)) : 3;
    if (digits < 0) digits = 0;
    if (digits > 8) digits = 8;
    fprintf(f, "set title \"%s = %.*f@^{+%.*f}_{-%.*f}\" offset 0,-0.5 font ',12'\n", label, digits, a->median, digits,
            a->plus, digits, a->minus);
}

/* Where panel (row, column) lies, in pixels: margins and panels of fixed size. */
enum { PLOT_LEFT = 115 };
enum { PLOT_BOTTOM = 90 };
enum { PLOT_RIGHT = 50 };
enum { PLOT_TOP = 60 };
enum { PLOT_PANEL = 190 };
enum { PLOT_GAP = 12 };

/* "set xlabel "label [unit]"". */
static inline void plot_label(FILE *f, const char *axis, const plot_corner *p, int k, const char *offset) {
    const char *unit = p->unit ? p->unit[k] : NULL;
    fprintf(f, "set %slabel \"%s", axis, p->label[k]);
    if (unit && *unit) fprintf(f, " [%s]", unit);
    fprintf(f, "\"%s\n", offset);
}

/* On the diagonal: the histogram, with its median and its 68 %. */
static inline void plot_diagonal(FILE *f, const plot_corner *p, int k, const plot_axis *a) {
    double at[3];
    at[0] = a->median - a->minus;
    at[1] = a->median;
    at[2] = a->median + a->plus;
    plot_corner_title(f, p->label[k], a);
    fprintf(f, "unset ytics; set yrange [0:1.12]\n");
    for (int i = 0; i < 3; i++) {
        const int dashes = i == 1 ? 1 : 2;
        fprintf(f, "set arrow from %.8g, graph 0 to %.8g, graph 1 nohead front lw 1.5 dt %d lc rgb '#08305c'\n", at[i],
                at[i], dashes);
    }
    fprintf(f, "plot $h_%d using 1:2 with filledcurves y1=0 fs solid 0.35 noborder lc rgb '#0072B2', ", k);
    fprintf(f, "'' using 1:2 with lines lw 1.6 lc rgb '#0072B2'");
    if (p->second.sample) fprintf(f, ", $i_%d using 1:2 with lines lw 1.6 lc rgb '#D55E00'", k);
    fprintf(f, "\n");
}

/* Below it: the density of a pair, and its contours. */
static inline void plot_below(FILE *f, const plot_corner *p, int row, int column, const plot_axis *axes) {
    const plot_axis *ax = &axes[column];
    const plot_axis *ay = &axes[row];
    fprintf(f, "set yrange [%.8g:%.8g]\n", ay->lo, ay->hi);
    plot_ticks(f, "y", ay->lo, ay->hi);
    fprintf(f, "set format y '%s'\n", column == 0 ? "%g" : "");
    if (column == 0) plot_label(f, "y", p, row, " offset -0.5,0");
    fprintf(f, "plot $g_%d_%d matrix ", row, column);
    fprintf(f, "using (%.8g+$1*%.8g):", plot_first(ax), plot_step(ax));
    fprintf(f, "(%.8g+$2*%.8g):3 with image, ", plot_first(ay), plot_step(ay));
    fprintf(f, "$gc_%d_%d using 1:2 with lines lw 1.6 lc rgb '#08305c'", row, column);
    if (p->second.sample) fprintf(f, ", $kc_%d_%d using 1:2 with lines lw 1.8 lc rgb '#D55E00'", row, column);
    fprintf(f, "\n");
}

static inline void plot_panel(FILE *f, const plot_corner *p, int row, int column, const plot_axis *axes) {
    const int last = p->n_dim - 1;
    const int side = PLOT_PANEL + PLOT_GAP;
    const int panels = p->n_dim * side - PLOT_GAP;
    const double width = PLOT_LEFT + panels + PLOT_RIGHT;
    const double height = PLOT_BOTTOM + panels + PLOT_TOP;
    const double x = PLOT_LEFT + column * side;
    const double y = PLOT_BOTTOM + (last - row) * side;
    const plot_axis *ax = &axes[column];
    fprintf(f, "set lmargin at screen %.5f; set rmargin at screen %.5f\n", x / width, (x + PLOT_PANEL) / width);
    fprintf(f, "set bmargin at screen %.5f; set tmargin at screen %.5f\n", y / height, (y + PLOT_PANEL) / height);
    fprintf(f, "unset arrow; unset title; unset xlabel; unset ylabel\n");
    fprintf(f, "set xrange [%.8g:%.8g]\n", ax->lo, ax->hi);
    plot_ticks(f, "x", ax->lo, ax->hi);
    fprintf(f, "set format x '%s'\n", row == last ? "%g" : "");
    if (row == last) plot_label(f, "x", p, column, "");
    if (row == column)
        plot_diagonal(f, p, row, ax);
    else
        plot_below(f, p, row, column, axes);
}

/* The range of every axis, from both chains. */
static inline int plot_axes(plot_axis *axes, const plot_corner *p) {
    long longest = p->chain.n > p->second.n ? p->chain.n : p->second.n;
    double *sorted = malloc((size_t)longest * sizeof *sorted);
    if (!sorted) return -1;
    for (int k = 0; k < p->n_dim; k++) {
        plot_axis *a = &axes[k];
        a->lo = 1;
        a->hi = 0; /* nothing yet */
        plot_axis_over(a, &p->chain, k, p->n_dim, sorted);
        if (p->second.sample) plot_axis_over(a, &p->second, k, p->n_dim, sorted);
        if (p->median && p->minus && p->plus) {
            a->median = p->median[k];
            a->minus = p->minus[k];
            a->plus = p->plus[k];
        }
        const double highest = fabs(a->hi);
        double margin = 2 * (a->hi - a->lo) / (PLOT_BINS - 4); /* whole bins: a prior's edge is a bin's edge */
        if (!(margin > 1e-9 * highest)) margin = 0.01 * highest + 1e-6;
        a->lo -= margin;
        a->hi += margin;
    }
    free(sorted);
    return 0;
}

/* What all panels are drawn from. */
static inline void plot_corner_data(FILE *f, const plot_corner *p, const plot_axis *axes) {
    const plot_chain *second = p->second.sample ? &p->second : NULL;
    const int d = p->n_dim;
    fprintf(f, "set contour base; unset surface; unset key; unset colorbox\n");
    for (int row = 0; row < d; row++) {
        plot_histogram(f, "h", &p->chain, row, d, &axes[row]);
        if (second) plot_histogram(f, "i", second, row, d, &axes[row]);
        for (int column = 0; column < row; column++) {
            plot_pair(f, "g", &p->chain, column, row, d, axes);
            if (second) plot_pair(f, "k", second, column, row, d, axes);
        }
    }
}

/* In the corner that is left free. */
static inline void plot_corner_key(FILE *f, const plot_corner *p) {
    const int two = p->second.sample != NULL;
    if (p->n_dim > 2) {
        fprintf(f, "set label 3 \"contours: 50 %% and 90 %% of the samples\\nlines: median and 68 %%\" ");
        fprintf(f, "at screen 0.97,%.3f right noenhanced tc rgb '#555555' font ',13'\n", two ? 0.885 : 0.95);
    }
    if (!two || !p->second.name || !p->chain.name) return;
    fprintf(f, "set label 1 ");
    plot_text(f, p->chain.name);
    fprintf(f, " at screen 0.97,0.95 right noenhanced tc rgb '#0072B2' font ',16'\nset label 2 ");
    plot_text(f, p->second.name);
    fprintf(f, " at screen 0.97,0.92 right noenhanced tc rgb '#D55E00' font ',16'\n");
}

/* Draws DIR/NAME.png (and .gp). Returns 0, 1 without gnuplot, -1 on failure. Samples must be finite. */
static inline int plot_corner_write(const plot_corner *p, const char *dir, const char *name, char *err) {
    plot_axis axes[PLOT_DIM_MAX];
    const int panels = p->n_dim * (PLOT_PANEL + PLOT_GAP) - PLOT_GAP;
    const int width = PLOT_LEFT + PLOT_RIGHT + panels;
    const int height = PLOT_BOTTOM + PLOT_TOP + panels;
    int bad = p->n_dim < 1 || p->n_dim > PLOT_DIM_MAX;
    bad |= p->chain.n < 2;
    bad |= p->second.sample && p->second.n < 2;
    if (bad) return error_set(err, "corner plot: needs 1 to %d parameters and two samples", (int)PLOT_DIM_MAX);
    if (plot_axes(axes, p)) return error_set(err, "corner plot: out of memory");
    out_file o;
    if (plot_begin(&o, dir, name, width, height, 14, err)) return -1;
    plot_corner_data(o.f, p, axes);
    fprintf(o.f, "unset contour; set surface; set tics front scale 0.6; set border lw 1.2\n"
                 "set palette defined (0 '#ffffff', 0.15 '#dcebf6', 0.5 '#8fc1e3', 1 '#0072B2'); set cbrange [0:1]\n"
                 "set multiplot\n");
    plot_corner_key(o.f, p);
    for (int row = 0; row < p->n_dim; row++)
        for (int column = 0; column <= row; column++) {
            plot_panel(o.f, p, row, column, axes);
            if (row == 0) fprintf(o.f, "unset label\n");
        }
    fprintf(o.f, "unset multiplot\n");
    return plot_end(&o, dir, name, err);
}
#endif
