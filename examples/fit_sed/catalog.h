/* catalog.h: --catalog LIST fits many tables, each in a process of its own, so that one bad table does not end the
   rest. Lines of LIST, a CSV:

       name,table,redshift,options
       Mrk 421,mrk421.csv,0.031,--radio drop
       3C 279,lephad.csv,0.536,--source 3C_279 --error-floor 0.05

   redshift may be empty, options too; tables are looked for beside LIST. Results go to --out DIR/NAME (blanks become
   _), what the fit printed to log.txt there, and a line for each to DIR/catalog.csv, which is written anew after every
   source. With --resume finished sources are left alone and interrupted ones go on. --threads sources run at a time,
   one thread each. Many processes with the same LIST and DIR and --resume, on machines with common files too (srun, job
   arrays), share the list: each takes the next source that no other has in hand, which the lock on its log.txt says.
   Public domain or MIT, see LICENSE. */
#ifndef FIT_SED_CATALOG_H
#define FIT_SED_CATALOG_H
#include "report.h"

enum { CATALOG_PAR = LN_F + 1 };
enum { CATALOG_MAX = 100000 };
enum { CATALOG_ARGUMENTS = 64 };
enum { CATALOG_PATH = 2 * PATH_SIZE };

/* How a source stands, beside the exit status of its fit. */
enum { BUSY = 3 };     /* another process has it in hand */
enum { NOT_RUN = -1 }; /* or not to its end */
enum { STOPPED = -2 };

typedef struct catalog_row {
    char name[64];
    char folder[PATH_SIZE];
    char table[PATH_SIZE];
    char redshift[32];
    char extra[512];
    int status;
    pid_t child; /* 0: none */
} catalog_row;

typedef struct catalog {
    catalog_row *row;
    int n;
    const options *opt;
    time_t begun;
} catalog;

typedef int catalog_fit(options *, const option_row *);

/* DIR/NAME, in characters that folders have. */
static void catalog_folder(catalog_row *row, const catalog *c, const text_file *t) {
    char plain[64];
    snprintf(plain, sizeof plain, "%s", row->name);
    for (char *s = plain; *s; s++)
        if (is_space(*s) || *s == '/') *s = '_';
    if (!*plain || *plain == '.') fail("%s:%ld: '%s' is no name", t->name, t->line, row->name);
    const int length = snprintf(row->folder, sizeof row->folder, "%s/%s", c->opt->out, plain);
    if (length >= (int)sizeof row->folder) fail("%s: too long a path", c->opt->out);
}

/* One line of LIST. */
static void catalog_line(catalog_row *row, const catalog *c, const text_file *t, char *line) {
    char *field[4];
    const int n = split(field, 4, line, ',');
    if (n < 2 || n > 4) fail("%s:%ld: name,table[,redshift[,options]] is needed", t->name, t->line);
    const char *table = field[1];
    const char *slash = strrchr(t->name, '/');
    const int beside = slash && *table != '/' && *table != '-';
    const int list_folder = beside ? (int)(slash - t->name) + 1 : 0;
    memset(row, 0, sizeof *row);
    row->status = NOT_RUN;
    snprintf(row->name, sizeof row->name, "%s", field[0]);
    snprintf(row->table, sizeof row->table, "%.*s%s", list_folder, t->name, table);
    if (n > 2) snprintf(row->redshift, sizeof row->redshift, "%s", field[2]);
    if (n > 3) snprintf(row->extra, sizeof row->extra, "%s", field[3]);
    catalog_folder(row, c, t);
}

/* The next row of c, of so many; sources of one folder are refused. */
static void catalog_add(catalog *c, int *capacity, const text_file *t, char *line) {
    if (c->n == CATALOG_MAX) fail("%s:%ld: more than %d sources", t->name, t->line, CATALOG_MAX);
    if (c->n == *capacity) {
        *capacity = *capacity ? 2 * *capacity : 64;
        c->row = realloc(c->row, (size_t)*capacity * sizeof *c->row);
        if (!c->row) fail("fit_sed: out of memory");
    }
    catalog_row *row = &c->row[c->n];
    catalog_line(row, c, t, line);
    for (int i = 0; i < c->n; i++) {
        const int twice = !strcmp(c->row[i].folder, row->folder);
        if (twice) fail("%s:%ld: '%s' stands there twice", t->name, t->line, c->row[i].name);
    }
    c->n++;
}

static void catalog_read(catalog *c, const char *path) {
    char err[ERROR_SIZE];
    text_file t;
    int capacity = 0;
    if (text_open(&t, path, err)) fail("%s", err);
    for (char *line = text_line(&t); line; line = text_line(&t)) {
        line = trim(line);
        const int is_head = c->n == 0 && !strncmp(line, "name,", 5);
        const int is_comment = !*line || *line == '#';
        if (!is_head && !is_comment) catalog_add(c, &capacity, &t, line);
    }
    text_close(&t);
    if (c->n == 0) fail("%s: no sources", path);
}

/* The options of a row on top of those of the command line. */
static void catalog_options(option_row *rows, const catalog_row *row, char *text, size_t size) {
    enum { BEFORE = 3 }; /* words before those of the row */
    static char program[] = "fit_sed";
    static char redshift[] = "--redshift";
    char *argv[BEFORE + CATALOG_ARGUMENTS + 2] = {NULL};
    char err[ERROR_SIZE];
    int n = 0;
    argv[n++] = program;
    if (*row->redshift) {
        argv[n++] = redshift;
        argv[n++] = (char *)(uintptr_t)row->redshift;
    }
    snprintf(text, size, "%s", row->extra);
    const int words = split(argv + n, CATALOG_ARGUMENTS, text, ' ');
    if (words < 0 || words > CATALOG_ARGUMENTS) fail("%s: too many options, or a quote that is not closed", row->name);
    n += words;
    argv[n] = NULL;
    const int first = options_read(n, argv, rows, err);
    if (first == -1) fail("%s: %s", row->name, err);
    if (first == n) return;
    const char *wrong = first >= 0 ? argv[first] : row->extra;
    fail("%s: '%s' is no option", row->name, wrong);
}

/* What each source does in its own way, whatever the command line says. */
static void catalog_own(options *o, const catalog_row *row) {
    o->input = row->table;
    o->out = row->folder;
    o->catalog = NULL;
    o->threads = 1;
    o->quiet = 1;
    options_check(o);
}

/* path [CATALOG_PATH] of a file of a source. */
static void catalog_path(char *path, const catalog_row *row, const char *name) {
    snprintf(path, CATALOG_PATH, "%s/%s", row->folder, name);
}

static int catalog_exists(const catalog_row *row, const char *name) {
    char path[CATALOG_PATH];
    catalog_path(path, row, name);
    return !access(path, R_OK);
}

/* One number of a file of "name": number pairs; NaN. */
static double catalog_number(const char *json, const char *key) {
    const char *at = json ? run_value(json, key) : NULL;
    double value;
    return at && real_prefix(&value, at) ? value : (double)NAN;
}

/* A source done by an earlier run, or by another process: its status from its verdict. One that has not converged goes
   on, unless another process has just left it. */
static int catalog_done(const catalog *c, const catalog_row *row) {
    char path[CATALOG_PATH];
    char err[ERROR_SIZE];
    size_t size;
    struct stat file;
    catalog_path(path, row, "run.json");
    if (stat(path, &file)) return NOT_RUN;
    const int older = file.st_mtime < c->begun;
    if (older && catalog_exists(row, "state.bin")) return NOT_RUN;
    char *json = file_read(&size, path, err);
    if (!json) return NOT_RUN;
    json[size] = 0;
    const double status = catalog_number(json, "exit_status");
    free(json);
    const int finished = status == 0 || status == 2;
    return finished ? (int)status : NOT_RUN;
}

/* In the child: what is printed goes to log.txt, locked as long as this process lives. Ends where another process has the
   row, or had it until now. */
static void catalog_log(const catalog *c, const catalog_row *row) {
    char path[CATALOG_PATH];
    catalog_path(path, row, "log.txt");
    const int log = open(path, O_WRONLY | O_CREAT, 0666);
    if (log < 0) fail("%s: %s", path, strerror(errno));
    const int refused = flock(log, LOCK_EX | LOCK_NB);
    if (refused && errno == EWOULDBLOCK) exit(BUSY);
    const int done = c->opt->resume ? catalog_done(c, row) : NOT_RUN;
    if (done != NOT_RUN) exit(done);
    int bad = ftruncate(log, 0);
    if (!bad) bad = dup2(log, 1) < 0;
    if (!bad) bad = dup2(log, 2) < 0;
    if (bad) fail("%s: %s", path, strerror(errno));
}

/* In the child: the fit of one row; never returns. */
static void catalog_child(const catalog *c, const catalog_row *row, catalog_fit *fit_one) {
    options o = *c->opt;
    option_row rows[OPTION_ROWS];
    char text[600];
    char err[ERROR_SIZE];
    if (out_folder(row->folder, err)) fail("%s", err);
    catalog_log(c, row);
    options_table(rows, &o);
    catalog_options(rows, row, text, sizeof text);
    catalog_own(&o, row);
    o.resume = c->opt->resume && catalog_exists(row, "state.bin");
    exit(fit_one(&o, rows));
}

/* Median, minus and plus of a parameter. */
typedef struct catalog_value {
    double of[3];
} catalog_value;

/* A line of posterior.csv: name,unit,median,minus,plus,... */
static void catalog_posterior_line(catalog_value *value, char *line) {
    char *field[12];
    const int n = split(field, 12, line, ',');
    if (n < 5) return;
    const int k = parameter_index(field[0], strlen(field[0]));
    if (k < 0 || k >= CATALOG_PAR) return;
    for (int i = 0; i < 3; i++) {
        double *to = &value[k].of[i];
        const char *wrong = read_real(to, field[2 + i]);
        if (wrong) *to = (double)NAN;
    }
}

/* All parameters, NaN where they were not fitted. */
static void catalog_posterior(FILE *f, const catalog_row *row, int written) {
    char path[CATALOG_PATH];
    char err[ERROR_SIZE];
    catalog_value value[CATALOG_PAR];
    text_file t;
    for (int k = 0; k < CATALOG_PAR; k++)
        for (int i = 0; i < 3; i++)
            value[k].of[i] = (double)NAN;
    catalog_path(path, row, "posterior.csv");
    if (written && !text_open(&t, path, err)) {
        for (char *line = text_line(&t); line; line = text_line(&t))
            catalog_posterior_line(value, line);
        text_close(&t);
    }
    for (int k = 0; k < CATALOG_PAR; k++)
        for (int i = 0; i < 3; i++)
            fprintf(f, ",%.6g", value[k].of[i]);
}

static const char *catalog_verdict(int status) {
    switch (status) {
    case 0: return "usable";
    case 1: return "error";
    case 2: return "not to be trusted";
    case BUSY: return "in hand elsewhere";
    default: return "not done";
    }
}

/* The line of a source. */
static void catalog_result(FILE *f, const catalog_row *row) {
    static const char *const keys[] = {
        "points", "chi2", "chi2_degrees", "scatter_dex", "predictive_p", "least_ess", "red", "yellow",
    };
    enum { KEYS = sizeof keys / sizeof *keys };
    char path[CATALOG_PATH];
    char err[ERROR_SIZE];
    size_t size = 0;
    const int written = row->status == 0 || row->status == 2;
    catalog_path(path, row, "run.json");
    char *json = written ? file_read(&size, path, err) : NULL;
    if (json) json[size] = 0;
    csv_text(f, row->name);
    fprintf(f, ",%s", catalog_verdict(row->status));
    for (int i = 0; i < KEYS; i++)
        fprintf(f, ",%.6g", catalog_number(json, keys[i]));
    catalog_posterior(f, row, written);
    fputc('\n', f);
    free(json);
}

/* DIR/catalog.csv: a line for each source, done or not. */
static void catalog_write(catalog *c) {
    char err[ERROR_SIZE];
    out_file o;
    for (int i = 0; i < c->n; i++) {
        catalog_row *row = &c->row[i];
        if (row->status != BUSY) continue;
        const int done = catalog_done(c, row);
        if (done != NOT_RUN) row->status = done;
    }
    if (out_begin(&o, c->opt->out, "catalog.csv", err)) fail("%s", err);
    fprintf(o.f, "name,verdict,points,chi2,degrees,scatter_dex,predictive_p,least_ess,red,yellow");
    for (int k = 0; k < CATALOG_PAR; k++) {
        const char *name = parameters[k].name;
        fprintf(o.f, ",%s,%s_minus,%s_plus", name, name, name);
    }
    fputc('\n', o.f);
    for (int i = 0; i < c->n; i++)
        catalog_result(o.f, &c->row[i]);
    if (out_commit(&o, err)) fail("%s", err);
}

/* The row whose child has ended, or NULL. Waits for one. */
static catalog_row *catalog_wait(catalog *c) {
    int status = 0;
    const pid_t child = wait(&status);
    for (int i = 0; i < c->n && child > 0; i++) {
        catalog_row *row = &c->row[i];
        if (row->child != child) continue;
        row->child = 0;
        row->status = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
        return row;
    }
    return NULL;
}

/* Passes a signal on, waits for all children; what they leave goes on with --resume. */
static void catalog_stop(catalog *c) {
    for (int i = 0; i < c->n; i++) {
        const pid_t child = c->row[i].child;
        if (child) kill(child, SIGTERM);
    }
    for (int i = 0; i < c->n; i++) {
        catalog_row *row = &c->row[i];
        if (!row->child) continue;
        while (waitpid(row->child, NULL, 0) < 0 && errno == EINTR)
            continue;
        row->child = 0;
        row->status = STOPPED;
    }
    catalog_write(c);
    const char *why = stop_asked() == SIGALRM ? "the time limit is reached" : "interrupted";
    fail("fit_sed: %s: the same command with --resume goes on", why);
}

static int catalog_summary(const catalog *c) {
    int count[BUSY + 1] = {0};
    for (int i = 0; i < c->n; i++) {
        const int status = c->row[i].status;
        if (status >= 0 && status <= BUSY) count[status]++;
    }
    printf("%d sources: %d usable, %d not to be trusted, %d with errors; %s/catalog.csv\n", c->n, count[0], count[2],
           count[1], c->opt->out);
    if (count[BUSY])
        printf("%d more are in the hands of other processes, the last of which completes it\n", count[BUSY]);
    return count[1] || count[2] ? 2 : 0;
}

/* Begins the fits of rows until `most` are under way; *next: the row to look at. Returns how many are. */
static int catalog_begin(catalog *c, int *next, int running, int most, catalog_fit *fit_one) {
    for (; *next < c->n && running < most; (*next)++) {
        catalog_row *row = &c->row[*next];
        if (c->opt->resume) row->status = catalog_done(c, row);
        if (row->status != NOT_RUN) continue;
        fflush(stdout);
        row->child = fork();
        if (row->child < 0) fail("fit_sed: %s", strerror(errno));
        if (row->child == 0) catalog_child(c, row, fit_one);
        running++;
    }
    return running;
}

static int fit_catalog(const options *opt, catalog_fit *fit_one) {
    catalog c = {0};
    progress_bar bar;
    const int most = threads_or_all(opt->threads);
    int running = 0;
    int next = 0;
    int done = 0;
    c.opt = opt;
    c.begun = time(NULL);
    catalog_read(&c, opt->catalog);
    progress_begin(&bar, "fitting", c.n, opt->quiet);
    for (;;) {
        running = catalog_begin(&c, &next, running, most, fit_one);
        if (running == 0) break;
        const catalog_row *row = catalog_wait(&c);
        if (stop_asked()) catalog_stop(&c);
        if (!row) continue;
        running--;
        done++;
        catalog_write(&c);
        progress_at(&bar, done, row->name);
    }
    progress_end(&bar);
    catalog_write(&c);
    const int status = catalog_summary(&c);
    free(c.row);
    return status;
}
#endif
