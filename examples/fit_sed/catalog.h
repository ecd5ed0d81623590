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

enum { CATALOG_PAR = LN_F + 1, CATALOG_MAX = 100000, CATALOG_ARGUMENTS = 64, BUSY = 3, NOT_RUN = -1, STOPPED = -2 };

typedef struct catalog_row {
    char name[64], folder[PATH_SIZE], table[PATH_SIZE], redshift[32], extra[512];
    int status; /* exit status of its fit; NOT_RUN, STOPPED; BUSY: another process has it in hand */
    pid_t child;
} catalog_row;

typedef struct catalog {
    catalog_row *row;
    int n;
    const options *opt;
    time_t begun;
} catalog;

/* One line of LIST. */
static void catalog_line(catalog_row *row, const catalog *c, const text_file *t, char *line) {
    char *field[4];
    const int n = split(field, 4, line, ',');
    const char *slash = strrchr(t->name, '/');
    if (n < 2 || n > 4) fail("%s:%ld: name,table[,redshift[,options]] is needed", t->name, t->line);
    memset(row, 0, sizeof *row);
    snprintf(row->name, sizeof row->name, "%s", field[0]);
    const int beside = slash && *field[1] != '/' && *field[1] != '-';
    snprintf(row->table, sizeof row->table, "%.*s%s", beside ? (int)(slash - t->name) + 1 : 0, t->name, field[1]);
    if (n > 2) snprintf(row->redshift, sizeof row->redshift, "%s", field[2]);
    if (n > 3) snprintf(row->extra, sizeof row->extra, "%s", field[3]);
    char plain[64];
    snprintf(plain, sizeof plain, "%s", row->name);
    for (char *s = plain; *s; s++)
        if (is_space(*s) || *s == '/') *s = '_';
    if (!*plain || *plain == '.') fail("%s:%ld: '%s' is no name", t->name, t->line, row->name);
    const int length = snprintf(row->folder, sizeof row->folder, "%s/%s", c->opt->out, plain);
    if (length >= (int)sizeof row->folder) fail("%s: too long a path", c->opt->out);
    row->status = NOT_RUN;
}

static void catalog_read(catalog *c, const char *path) {
    char err[ERROR_SIZE];
    text_file t;
    int room = 0;
    if (text_open(&t, path, err)) fail("%s", err);
    for (char *line = text_line(&t); line; line = text_line(&t)) {
        line = trim(line);
        if (!*line || *line == '#' || (c->n == 0 && !strncmp(line, "name,", 5))) continue;
        if (c->n == CATALOG_MAX) fail("%s:%ld: more than %d sources", path, t.line, CATALOG_MAX);
        if (c->n == room) {
            room = room ? 2 * room : 64;
            c->row = realloc(c->row, (size_t)room * sizeof *c->row);
            if (!c->row) fail("fit_sed: out of memory");
        }
        catalog_line(&c->row[c->n], c, &t, line);
        for (int i = 0; i < c->n; i++)
            if (!strcmp(c->row[i].folder, c->row[c->n].folder))
                fail("%s:%ld: '%s' stands there twice", path, t.line, c->row[i].name);
        c->n++;
    }
    text_close(&t);
    if (c->n == 0) fail("%s: no sources", path);
}

/* The options of a row on top of those of the command line. */
static void catalog_options(options *o, option_row *rows, const catalog_row *row, char *text, size_t size) {
    char *argv[CATALOG_ARGUMENTS + 5] = {NULL};
    char err[ERROR_SIZE];
    static char program[] = "fit_sed";
    static char redshift[] = "--redshift";
    char *word[CATALOG_ARGUMENTS];
    int n = 0;
    snprintf(text, size, "%s", row->extra);
    const int words = split(word, CATALOG_ARGUMENTS, text, ' ');
    if (words < 0 || words > CATALOG_ARGUMENTS) fail("%s: too many options, or a quote that is not closed", row->name);
    argv[n++] = program;
    if (*row->redshift) {
        argv[n++] = redshift;
        argv[n++] = (char *)(uintptr_t)row->redshift;
    }
    for (int i = 0; i < words; i++)
        argv[n++] = word[i];
    const int first = options_read(n, argv, rows, err);
    if (first == -1) fail("%s: %s", row->name, err);
    if (first != n) fail("%s: '%s' is no option", row->name, first >= 0 ? argv[first] : row->extra);
    o->input = row->table;
    o->out = row->folder;
    o->catalog = NULL;
    o->threads = 1;
    o->quiet = 1;
    options_check(o);
}

static int catalog_exists(const catalog_row *row, const char *name) {
    char path[2 * PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", row->folder, name);
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
    char path[2 * PATH_SIZE];
    char err[ERROR_SIZE];
    size_t size;
    struct stat file;
    snprintf(path, sizeof path, "%s/run.json", row->folder);
    if (stat(path, &file) || (catalog_exists(row, "state.bin") && file.st_mtime < c->begun)) return NOT_RUN;
    char *json = file_read(&size, path, err);
    if (!json) return NOT_RUN;
    json[size] = 0;
    const double status = catalog_number(json, "exit_status");
    free(json);
    return status == 0 || status == 2 ? (int)status : NOT_RUN;
}

/* In the child: what is printed goes to log.txt, locked as long as this process lives. Ends where another process has the
   row, or had it until now. */
static void catalog_log(const catalog *c, const catalog_row *row) {
    char path[2 * PATH_SIZE];
    snprintf(path, sizeof path, "%s/log.txt", row->folder);
    const int log = open(path, O_WRONLY | O_CREAT, 0666);
    if (log < 0) fail("%s: %s", path, strerror(errno));
    if (flock(log, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) exit(BUSY);
    const int done = c->opt->resume ? catalog_done(c, row) : NOT_RUN;
    if (done != NOT_RUN) exit(done);
    if (ftruncate(log, 0) || dup2(log, 1) < 0 || dup2(log, 2) < 0) fail("%s: %s", path, strerror(errno));
}

/* In the child: the fit of one row; never returns. */
static void catalog_child(const catalog *c, const catalog_row *row, int (*fit_one)(options *, const option_row *)) {
    options o = *c->opt;
    option_row rows[OPTION_ROWS];
    char text[600];
    char err[ERROR_SIZE];
    if (out_folder(row->folder, err)) fail("%s", err);
    catalog_log(c, row);
    options_table(rows, &o);
    catalog_options(&o, rows, row, text, sizeof text);
    o.resume = c->opt->resume && catalog_exists(row, "state.bin");
    exit(fit_one(&o, rows));
}

/* median, minus and plus of each parameter from posterior.csv. */
static void catalog_posterior(FILE *f, const catalog_row *row) {
    char path[2 * PATH_SIZE];
    char err[ERROR_SIZE];
    double value[CATALOG_PAR][3];
    text_file t;
    for (int k = 0; k < CATALOG_PAR; k++)
        value[k][0] = value[k][1] = value[k][2] = (double)NAN;
    snprintf(path, sizeof path, "%s/posterior.csv", row->folder);
    if (!text_open(&t, path, err)) {
        for (char *line = text_line(&t); line; line = text_line(&t)) {
            char *field[12];
            const int n = split(field, 12, line, ',');
            const int k = n < 5 ? -1 : parameter_index(field[0], strlen(field[0]));
            for (int i = 0; i < 3 && k >= 0 && k < CATALOG_PAR; i++)
                if (read_real(&value[k][i], field[2 + i])) value[k][i] = (double)NAN;
        }
        text_close(&t);
    }
    for (int k = 0; k < CATALOG_PAR; k++)
        for (int i = 0; i < 3; i++)
            fprintf(f, ",%.6g", value[k][i]);
}

/* The line of a source. */
static void catalog_result(FILE *f, const catalog_row *row) {
    static const char *const keys[] = {"points",       "chi2",      "chi2_degrees", "scatter_dex",
                                       "predictive_p", "least_ess", "red",          "yellow"};
    char path[2 * PATH_SIZE];
    char err[ERROR_SIZE];
    size_t size = 0;
    snprintf(path, sizeof path, "%s/run.json", row->folder);
    const int written = row->status == 0 || row->status == 2;
    char *json = written ? file_read(&size, path, err) : NULL;
    if (json) json[size] = 0;
    csv_text(f, row->name);
    fprintf(f, ",%s",
            row->status == 0      ? "usable"
            : row->status == 2    ? "not to be trusted"
            : row->status == 1    ? "error"
            : row->status == BUSY ? "in hand elsewhere"
                                  : "not done");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        fprintf(f, ",%.6g", catalog_number(json, keys[i]));
    if (written)
        catalog_posterior(f, row);
    else
        for (int k = 0; k < 3 * CATALOG_PAR; k++)
            fputs(",nan", f);
    fputc('\n', f);
    free(json);
}

/* DIR/catalog.csv: a line for each source, done or not. */
static void catalog_write(catalog *c) {
    char err[ERROR_SIZE];
    out_file o;
    for (int i = 0; i < c->n; i++) {
        const int done = c->row[i].status == BUSY ? catalog_done(c, &c->row[i]) : NOT_RUN;
        if (done != NOT_RUN) c->row[i].status = done;
    }
    if (out_begin(&o, c->opt->out, "catalog.csv", err)) fail("%s", err);
    fprintf(o.f, "name,verdict,points,chi2,degrees,scatter_dex,predictive_p,least_ess,red,yellow");
    for (int k = 0; k < CATALOG_PAR; k++)
        fprintf(o.f, ",%s,%s_minus,%s_plus", parameters[k].name, parameters[k].name, parameters[k].name);
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
        if (c->row[i].child != child) continue;
        c->row[i].child = 0;
        c->row[i].status = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
        return &c->row[i];
    }
    return NULL;
}

/* Passes a signal on, waits for all children; what they leave goes on with --resume. */
static void catalog_stop(catalog *c) {
    for (int i = 0; i < c->n; i++)
        if (c->row[i].child) kill(c->row[i].child, SIGTERM);
    for (int i = 0; i < c->n; i++) {
        if (!c->row[i].child) continue;
        while (waitpid(c->row[i].child, NULL, 0) < 0 && errno == EINTR)
            continue;
        c->row[i].child = 0;
        c->row[i].status = STOPPED;
    }
    catalog_write(c);
    fail("fit_sed: %s: the same command with --resume goes on",
         stop_asked() == SIGALRM ? "the time limit is reached" : "interrupted");
}

static int catalog_summary(const catalog *c) {
    int count[BUSY + 1] = {0};
    for (int i = 0; i < c->n; i++)
        if (c->row[i].status >= 0 && c->row[i].status <= BUSY) count[c->row[i].status]++;
    printf("%d sources: %d usable, %d not to be trusted, %d with errors; %s/catalog.csv\n", c->n, count[0], count[2],
           count[1], c->opt->out);
    if (count[BUSY])
        printf("%d more are in the hands of other processes, the last of which completes it\n", count[BUSY]);
    return count[1] || count[2] ? 2 : 0;
}

/* Begins the fits of rows until `most` are under way; *next: the row to look at. Returns how many are. */
static int catalog_begin(catalog *c, int *next, int running, int most, int (*fit_one)(options *, const option_row *)) {
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

static int fit_catalog(const options *opt, int (*fit_one)(options *, const option_row *)) {
    catalog c = {.opt = opt, .begun = time(NULL)};
    progress_bar bar;
    const int most = threads_or_all(opt->threads);
    int running = 0;
    int next = 0;
    int done = 0;
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
