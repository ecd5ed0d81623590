/* state.h: interruptions. A run that ends before it has converged leaves DIR/state.bin, by a signal or a time limit
   too and in every phase; --resume goes on from it, to the same numbers as a run that was never interrupted.

   The file: a head with the phase and the counts of all legs so far, what was learned (walkers' positions, solver
   answers, the sample of the polynomial's posterior, the network of guide.h), then what a sampler's own save gave. Public
   domain or MIT, see LICENSE. */
#ifndef FIT_SED_STATE_H
#define FIT_SED_STATE_H
#include "setup.h"

enum { PHASE_CLIMB, PHASE_REFINE, PHASE_SAMPLE };

static const double state_every = 60; /* [s] and as often while it samples, in case it is killed */

/* How far a run has come. Everything is of this machine: a file of another one is refused by its size of head. */
typedef struct state_head {
    char magic[8];
    uint64_t head_size, seed, settings; /* settings: sum of the model and the points */
    int64_t n_free, points, walkers, sampler;
    int64_t phase, round, still;
    double best, seconds;
    int64_t legs, solver_calls, network_calls, sampling_calls;
    int64_t learned, archive_n; /* rows that follow; then start [walkers][n_free] */
    double learned_best;
    int64_t response_terms; /* coefficients of the polynomial, [terms][points], behind its struct; 0: none */
    uint64_t guide;         /* bytes */
    uint64_t payload, sum;
} state_head;

typedef struct state {
    state_head head;
    double *start; /* [walkers][n_free], yours */
    void *payload; /* [head.payload], yours */
} state;

static const char state_magic[8] = "FITSED5";

/* FNV-1a. */
static uint64_t state_sum(uint64_t sum, const void *data, size_t size) {
    const unsigned char *byte = data;
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ byte[i]) * 1099511628211u;
    return sum;
}

/* Writes a part and adds it to the sum. */
static void state_put(FILE *f, state_head *h, const void *data, size_t size) {
    if (size) {
        fwrite(data, 1, size, f);
    }
    h->sum = state_sum(h->sum, data, size);
}

/* A sum over all that decides the posterior: points, model, what is fixed, tied and free. Not the sampler's own. */
static uint64_t state_settings(const problem *p) {
    const options *o = p->opt;
    uint64_t sum = 14695981039346656037u;
    const int model[] = {o->grid,   o->ssa,    o->pairs,     o->electrons, o->escape,
                         o->fields, o->shines, o->isotropic, o->scatter,   o->protons};
    const double more[] = {o->redshift, o->t_var, o->equipartition, (double)o->neutrinos, o->exposure};
    sum = state_sum(sum, model, sizeof model);
    sum = state_sum(sum, more, sizeof more);
    sum = state_sum(sum, p->free_par, (size_t)p->n_free * sizeof *p->free_par);
    sum = state_sum(sum, p->value, sizeof p->value);
    for (int i = 0; i < p->n_tied; i++) {
        const double tied[] = {p->tied[i].par, p->tied[i].of, p->tied[i].slope, p->tied[i].offset};
        sum = state_sum(sum, tied, sizeof tied);
    }
    for (int i = 0; i < p->sed.n; i++) {
        const bml_ssc_point *d = &p->sed.point[i];
        const double point[] = {d->nu, d->nuFnu, d->sigma_lo, d->sigma_hi, d->upper_limit, p->fade[i]};
        sum = state_sum(sum, point, sizeof point);
    }
    return sum;
}

static double seconds_begun(void) {
    static double begun;
    if (begun == 0) {
        begun = seconds_now();
    }
    return begun;
}

static void state_fill(state_head *h, const problem *p, int phase) {
    memset(h, 0, sizeof *h);
    memcpy(h->magic, state_magic, sizeof h->magic);
    h->head_size = sizeof *h;
    h->seed = p->opt->seed;
    h->settings = state_settings(p);
    h->n_free = p->n_free;
    h->points = p->sed.n;
    h->walkers = p->opt->walkers;
    h->sampler = p->opt->sampler;
    h->phase = phase;
    h->seconds = p->seconds + seconds_now() - seconds_begun();
    h->legs = p->legs;
    h->solver_calls = p->solver_calls;
    h->network_calls = p->network_calls;
    h->sampling_calls = p->sampling_calls;
    h->learned = phase == PHASE_SAMPLE && p->opt->sampler != SAMPLER_IMPORTANCE ? 0 : p->learned.n;
    h->learned_best = p->learned.best;
    h->archive_n = p->archive_n;
    h->response_terms = phase == PHASE_SAMPLE && p->response.coef ? p->response.n_terms : 0;
    h->sum = 14695981039346656037u;
}

/* s->head: phase, round, still and best are set; start may be NULL. 0, or -1 with a line in err: an earlier state is
   then as it was. */
static int state_try(const problem *p, state *s, char *err) {
    state_head h;
    const size_t d = (size_t)p->n_free;
    const size_t n = (size_t)p->sed.n;
    state_fill(&h, p, (int)s->head.phase);
    h.round = s->head.round;
    h.still = s->head.still;
    h.best = s->head.best;
    h.payload = s->head.payload;
    if (!s->start) {
        h.walkers = 0;
    }
    out_file o;
    size_t guide_size;
    if (out_begin(&o, p->opt->out, "state.bin", err)) {
        return -1;
    }
    unsigned char *net = guide_bytes(&guide_size, p);
    h.guide = guide_size;
    fwrite(&h, sizeof h, 1, o.f); /* again below, with the sum */
    state_put(o.f, &h, s->start, (size_t)h.walkers * d * sizeof(double));
    state_put(o.f, &h, p->learned.theta, (size_t)h.learned * (size_t)p->n_model * sizeof(double));
    state_put(o.f, &h, p->learned.dex, (size_t)h.learned * n * sizeof(double));
    state_put(o.f, &h, p->learned.ln_p, (size_t)h.learned * sizeof(double));
    state_put(o.f, &h, p->archive, (size_t)h.archive_n * d * sizeof(double));
    if (h.response_terms) {
        state_put(o.f, &h, &p->response, sizeof p->response);
        state_put(o.f, &h, p->response.coef, (size_t)h.response_terms * n * sizeof(double));
    }
    state_put(o.f, &h, net, guide_size);
    bml_nn_free_bytes(net);
    state_put(o.f, &h, s->payload, (size_t)h.payload);
    const uint64_t sum = h.sum;
    h.sum = 0;
    h.sum = state_sum(sum, &h, sizeof h);
    if (!ferror(o.f) && !fseek(o.f, 0, SEEK_SET)) { /* rewind() would forget a full disk */
        fwrite(&h, sizeof h, 1, o.f);
    }
    return out_commit(&o, err);
}

/* The same at the end of a run: what cannot be kept is lost. */
static void state_write(const problem *p, state *s) {
    char err[ERROR_SIZE];
    if (state_try(p, s, err)) {
        fail("%s; what this run has done is lost", err);
    }
}

/* A part of the file; NULL where it ends too soon. */
static const char *state_take(const char **at, const char *end, size_t count, size_t width) {
    const char *part = *at;
    if (width && count > (size_t)(end - part) / width) {
        return NULL;
    }
    *at = part + count * width;
    return part;
}

/* A copy of rows of doubles; dies when memory ends. */
static double *state_rows(const char *part, size_t count) {
    double *rows = malloc((count + 1) * sizeof *rows);
    if (!rows) {
        fail("fit_sed: out of memory");
    }
    if (count) {
        memcpy(rows, part, count * sizeof *rows);
    }
    return rows;
}

/* What was learned, into the problem. part: the parts of the file in order. */
static void state_learned(problem *p, const state_head *h, const char *const *part) {
    const size_t n = (size_t)p->sed.n;
    const size_t rows = (size_t)h->learned;
    memory *m = &p->learned;
    m->theta = state_rows(part[1], rows * (size_t)p->n_model);
    m->dex = state_rows(part[2], rows * n);
    m->ln_p = state_rows(part[3], rows);
    m->n = m->capacity = (long)rows;
    m->best = h->learned_best;
    p->archive_n = (int)h->archive_n;
    p->archive = state_rows(part[4], (size_t)h->archive_n * (size_t)p->n_free);
    if (!h->response_terms) {
        return;
    }
    memcpy(&p->response, part[5], sizeof p->response);
    p->response.coef = state_rows(part[6], (size_t)h->response_terms * n);
}

/* Why a file is no state of this run; NULL: it is one. */
static const char *state_wrong(const problem *p, const state_head *h) {
    if (h->seed != p->opt->seed) {
        return "saved with other settings: seed";
    }
    if (h->sampler != p->opt->sampler) {
        return "saved with other settings: sampler";
    }
    if (h->n_free != p->n_free) {
        return "saved with other settings: free parameters";
    }
    if (h->points != p->sed.n) {
        return "saved with other settings: points of the table";
    }
    if (h->walkers && h->walkers != p->opt->walkers) {
        return "saved with other settings: walkers";
    }
    if (h->settings != state_settings(p)) {
        return "saved with other settings: the model, or the table's points";
    }
    if (h->phase < PHASE_CLIMB || h->phase > PHASE_SAMPLE || h->round < 0 || h->round > 1000) {
        return "is damaged";
    }
    if (h->learned < 0 || h->archive_n < 0 || h->walkers < 0 || h->archive_n > INT_MAX) {
        return "is damaged";
    }
    return h->response_terms < 0 || h->response_terms > RESPONSE_TERMS ? "is damaged" : NULL;
}

/* Cuts the file into its parts; 0, or -1 where it ends too soon. */
static int state_parts(const char **part, const problem *p, const state_head *h, const char *at, const char *end) {
    const size_t d = (size_t)p->n_free * sizeof(double);
    const size_t n = (size_t)p->sed.n * sizeof(double);
    const size_t rows = (size_t)h->learned;
    part[0] = state_take(&at, end, (size_t)h->walkers, d);
    part[1] = part[0] ? state_take(&at, end, rows, (size_t)p->n_model * sizeof(double)) : NULL;
    part[2] = part[1] ? state_take(&at, end, rows, n) : NULL;
    part[3] = part[2] ? state_take(&at, end, rows, sizeof(double)) : NULL;
    part[4] = part[3] ? state_take(&at, end, (size_t)h->archive_n, d) : NULL;
    part[5] = part[4] ? state_take(&at, end, h->response_terms > 0, sizeof p->response) : NULL;
    part[6] = part[5] ? state_take(&at, end, (size_t)h->response_terms, n) : NULL;
    part[7] = part[6] ? state_take(&at, end, (size_t)h->guide, 1) : NULL;
    part[8] = part[7] ? state_take(&at, end, (size_t)h->payload, 1) : NULL;
    return part[8] && at == end ? 0 : -1;
}

/* The response of a file must be one of this problem. */
static int state_response_wrong(const problem *p, const state_head *h, const char *part) {
    response r;
    if (!h->response_terms) {
        return 0;
    }
    memcpy(&r, part, sizeof r);
    if (r.n_dim != p->n_model || r.n_out != p->sed.n || r.n_terms != h->response_terms) {
        return 1;
    }
    for (int t = 1; t < r.n_terms; t++)
        if (r.parent[t] < 0 || r.parent[t] >= t || r.factor[t] < 0 || r.factor[t] >= r.n_dim) {
            return 1;
        }
    return 0;
}

/* Reads DIR/state.bin: fills the problem and s; dies where there is none of this run. */
static void state_read(state *s, problem *p) {
    char path[PATH_SIZE + 16];
    char err[ERROR_SIZE];
    const char *part[9];
    size_t size;
    snprintf(path, sizeof path, "%s/state.bin", p->opt->out);
    char *bytes = file_read(&size, path, err);
    if (!bytes) {
        fail("%s", err);
    }
    state_head *h = &s->head;
    const int whole = size >= sizeof *h && !memcmp(bytes, state_magic, sizeof state_magic);
    if (!whole) {
        fail("%s: is no state of fit_sed", path);
    }
    memcpy(h, bytes, sizeof *h);
    const uint64_t sum = h->sum;
    h->sum = 0;
    uint64_t now = state_sum(14695981039346656037u, bytes + sizeof *h, size - sizeof *h);
    if (h->head_size != sizeof *h || sum != state_sum(now, h, sizeof *h)) {
        fail("%s: is damaged, or of another machine", path);
    }
    const char *wrong = state_wrong(p, h);
    if (!wrong && state_parts(part, p, h, bytes + sizeof *h, bytes + size)) {
        wrong = "is damaged";
    }
    if (!wrong && state_response_wrong(p, h, part[5])) {
        wrong = "is damaged";
    }
    if (wrong) {
        fail("%s: %s", path, wrong);
    }
    if (h->walkers) {
        s->start = state_rows(part[0], (size_t)h->walkers * (size_t)p->n_free);
    }
    s->payload = malloc((size_t)h->payload + 1);
    if (!s->payload) {
        fail("fit_sed: out of memory");
    }
    memcpy(s->payload, part[8], (size_t)h->payload);
    state_learned(p, h, part);
    if (guide_from_bytes(p, (const unsigned char *)part[7], (size_t)h->guide)) {
        fail("%s: is damaged", path);
    }
    p->pin = p->guide.net != NULL;
    p->solver_calls = (long)h->solver_calls;
    p->network_calls = (long)h->network_calls;
    p->sampling_calls = (long)h->sampling_calls;
    p->seconds = h->seconds;
    p->legs = (long)h->legs + 1;
    free(bytes);
}

static void state_free(state *s) {
    free(s->start);
    free(s->payload);
    memset(s, 0, sizeof *s);
}

static void state_remove(const problem *p) {
    char path[PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/state.bin", p->opt->out);
    remove(path);
}

/* After a signal or the time limit; the state is written. */
static void stop_here(const problem *p) {
    fprintf(stderr, "fit_sed: %s; the state is in %s/state.bin: the same command with --resume goes on\n",
            stop_asked() == SIGALRM ? "the time limit is reached" : "interrupted", p->opt->out);
    exit(1);
}

/* Writes what a sampler's save gave as the payload of a state, and frees it. A sampler that has not begun has nothing
   to keep. A full disk ends no run that has not been asked to stop: there may be room again for the results. */
static void state_keep(const problem *p, double *start, void *payload, size_t size, int status) {
    state s = {.head = {.phase = PHASE_SAMPLE, .payload = size}, .start = start, .payload = payload};
    if (status == BML_MCMC_NOT_STARTED) {
        s.head.payload = 0;
    }
    if (status && status != BML_MCMC_NOT_STARTED) {
        fail("fit_sed: %s", bml_mcmc_strerror(status));
    }
    char err[ERROR_SIZE];
    const int lost = state_try(p, &s, err);
    if (lost && stop_asked()) {
        fail("%s; what this run has done is lost", err);
    }
    if (lost) {
        fprintf(stderr, "%s; the run goes on without a state to resume from\n", err);
    }
    free(payload);
}

static void *state_room(size_t size) {
    void *bytes = malloc(size + 1);
    if (!bytes) {
        fail("fit_sed: out of memory");
    }
    return bytes;
}

/* Where a run begins: the state of an earlier leg, or nothing. */
static state state_begin(problem *p) {
    state s = {.head = {.phase = PHASE_CLIMB, .best = -HUGE_VAL}};
    if (p->opt->resume) {
        state_read(&s, p);
    }
    return s;
}
#endif
