/* test_nn_contract.c: bml_nn.h where it meets the world: reasons of refusals, every allocation failing, files with every
   word changed, files of another machine, writers to one path and what killed ones leave, a decimal comma. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
static long allocations_left = -1; /* -1: no limit */
static long live_blocks;
static void *test_malloc(size_t n) {
    if (allocations_left == 0) return NULL;
    if (allocations_left > 0) allocations_left--;
    void *p = malloc(n);
    if (p) live_blocks++;
    return p;
}
static void test_free(void *p) {
    if (p) live_blocks--;
    free(p);
}
#define BML_NN_MALLOC(n) test_malloc(n)
#define BML_NN_FREE(p) test_free(p)
#undef BML_NN_IMPLEMENTED /* its allocator is ours */
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#include "check.h"
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = 12, IN = 8, OUT = 2 };
static const char path[] = "build/test_nn_contract.safetensors";
static const char checkpoint[] = "build/test_nn_contract.checkpoint";
static bml_nn_real data_x[ROWS * IN];
static bml_nn_real data_y[ROWS * OUT];

/* A net with a layer of every kind that has weights or noise. */
static const bml_nn_layer layers[] = {
    {.kind = BML_NN_INPUT, .steps = 4, .features = 2},
    {.kind = BML_NN_CONV, .units = 3, .kernel = 3, .same = 1, .activation = BML_NN_SILU},
    {.kind = BML_NN_BATCH_NORM},
    {.kind = BML_NN_GRU, .units = 3, .sequence = 1, .bidirectional = 1},
    {.kind = BML_NN_LAYER_NORM},
    {.kind = BML_NN_LSTM, .units = 3},
    {.kind = BML_NN_DROPOUT, .rate = 0.25},
    {.kind = BML_NN_BAYES, .units = 3, .activation = BML_NN_TANH},
    {.kind = BML_NN_DENSE, .units = OUT, .activation = BML_NN_SIGMOID}};
static const bml_nn_config config = {layers, sizeof layers / sizeof *layers, 1};

static bml_nn_training lesson(void) {
    bml_nn_training how = {.x = data_x, .y = data_y, .n = ROWS, .batch = 4, .epochs = 2, .validation = 0.25};
    return how;
}

static bml_nn *made(void) {
    bml_nn *net;
    char why[BML_NN_MESSAGE];
    if (bml_nn_create(&net, &config, why)) {
        CHECK(0, "create: %s", why);
        exit(1);
    }
    return net;
}

/* ---- refusals: NULL, nothing to free, member, value and range ---- */

/* The object's address, so that it is looked at after the call. */
static void refused(const char *what, int status, int want, void *place, const char *why, const char *word) {
    void *object;
    memcpy(&object, place, sizeof object);
    CHECK(status == want && !object && strstr(why, word), "%s: %s: %s", what, bml_nn_strerror(status), why);
}

static void test_refusals(void) {
    static const struct {
        bml_nn_layer layer;
        const char *word;
    } bad[] = {{{.kind = BML_NN_DENSE}, "units = 0: required, must be in [1, 2147483647]"},
               {{.kind = BML_NN_DENSE, .units = -4}, "units = -4: must be in [1, 2147483647]"},
               {{.kind = BML_NN_DENSE, .units = 2, .activation = 10}, "activation = 10: must be in [0, 9]"},
               {{.kind = BML_NN_DENSE, .units = 2, .slope = (double)NAN}, "slope = nan: must be in [0, 1)"},
               {{.kind = BML_NN_DENSE, .units = 2, .init = 7}, "init = 7: must be in [0, 1]"},
               {{.kind = BML_NN_DROPOUT, .rate = 1}, "rate = 1: must be in [0, 1)"},
               {{.kind = BML_NN_DROPOUT, .rate = -0.5}, "rate = -0.5: must be in [0, 1)"},
               {{.kind = BML_NN_BAYES, .units = 2, .prior_sd = -(double)INFINITY}, "prior_sd = -inf: must be in [0,"},
               {{.kind = BML_NN_RESHAPE}, "features = 0: required, must be in [1, 2147483647]"},
               {{.kind = 15}, "kind = 15: must be in [0, 14]"}};
    bml_nn_layer l[3] = {
        {.kind = BML_NN_INPUT, .features = 2}, {.kind = BML_NN_DENSE, .units = 2}, {.kind = BML_NN_DENSE, .units = 1}};
    bml_nn_config c = {l, 3, 0};
    char why[BML_NN_MESSAGE];
    bml_nn *net = (bml_nn *)why; /* no pointer of ours: it must become NULL */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        l[1] = bad[i].layer;
        int status = bml_nn_create(&net, &c, why);
        refused("layer", status, BML_NN_BAD_LAYER, &net, why, bad[i].word);
        net = (bml_nn *)why;
        CHECK(bml_nn_create(&net, &c, NULL) == BML_NN_BAD_LAYER && !net, "the same without a place for the reason");
    }
    c.n_layers = 1001;
    refused("layers", bml_nn_create(&net, &c, why), BML_NN_BAD_ARGUMENT, &net, why,
            "n_layers = 1001: must be in [2, 1000]");
    refused("config", bml_nn_create(&net, NULL, why), BML_NN_BAD_ARGUMENT, &net, why, "no layers");
    CHECK(bml_nn_create(NULL, &config, why) == BML_NN_BAD_ARGUMENT && *why, "no place: %s", why);
    net = made();
    bml_nn_work *work = (bml_nn_work *)why;
    refused("work", bml_nn_work_create(&work, net, 0, 1, why), BML_NN_BAD_ARGUMENT, &work, why, "rows = 0");
    refused("work", bml_nn_work_create(&work, net, 1, -1, why), BML_NN_BAD_ARGUMENT, &work, why, "threads = -1");
    refused("work", bml_nn_work_create(&work, NULL, 1, 1, why), BML_NN_BAD_ARGUMENT, &work, why, "net");
    CHECK(!bml_nn_work_create(&work, net, 1, 0, why) && !*why, "a workspace, and no reason");
    bml_nn_work_free(work);
    static const struct {
        bml_nn_training change;
        const char *word;
    } how[] = {{{.learning_rate = -1}, "learning_rate = -1: must be in [0, 1000000000]"},
               {{.momentum = 1}, "momentum = 1: must be in [0, 1)"},
               {{.validation = 0.95}, "validation = 0.95: must be in [0, 0.9]"},
               {{.loss = 8}, "loss = 8: must be in [0, 7]"},
               {{.epochs = -3}, "epochs = -3: must be in [0, 1000000000]"},
               {{.clip = (double)NAN}, "clip = nan: must be in"},
               {{.epochs = 1}, "there are no data"}};
    bml_nn_trainer *trainer = (bml_nn_trainer *)why;
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        int status = bml_nn_trainer_create(&trainer, net, &how[i].change, why);
        refused("training", status, BML_NN_BAD_ARGUMENT, &trainer, why, how[i].word);
        trainer = (bml_nn_trainer *)why;
    }
    bml_nn_epoch none = bml_nn_trainer_last(NULL);
    CHECK(none.epoch == 0 && isnan(none.loss), "the last epoch of no trainer");
    CHECK(bml_nn_trainer_done(NULL) && bml_nn_trainer_run(NULL, 1) == BML_NN_BAD_ARGUMENT, "and its other calls");
    bml_nn *read = (bml_nn *)why;
    refused("bytes", bml_nn_decode(&read, (const unsigned char *)"\1", 1, why), BML_NN_BAD_FILE, &read, why, "shorter");
    refused("file", bml_nn_load(&read, "build/none", why), BML_NN_CANNOT_OPEN, &read, why, "build/none");
    bml_nn_free(net);
}

/* ---- a decimal comma ---- */

static void test_locale(void) {
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ru_RU.UTF-8", "de_DE"};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !found; i++) {
        found = setlocale(LC_ALL, names[i]);
    }
    if (!found) {
        SKIP("no locale with a decimal comma is installed");
        return;
    }
    bml_nn_layer l[2] = {{.kind = BML_NN_INPUT, .features = 2}, {.kind = BML_NN_DROPOUT, .rate = 1.5}};
    bml_nn_config c = {l, 2, 0};
    char why[BML_NN_MESSAGE];
    bml_nn *net;
    CHECK(bml_nn_create(&net, &c, why) && strstr(why, "rate = 1.5"), "%s: %s", found, why);
    net = made();
    unsigned char *bytes;
    size_t size;
    bml_nn *again = NULL;
    CHECK(!bml_nn_encode(net, &bytes, &size, BML_NN_F32) && !bml_nn_decode(&again, bytes, size, why), "read back: %s",
          why);
    setlocale(LC_ALL, "C");
    unsigned char *plain;
    size_t n;
    CHECK(!bml_nn_encode(net, &plain, &n, BML_NN_F32) && n == size && !memcmp(plain, bytes, n),
          "the same bytes in \"C\"");
    bml_nn_free_bytes(bytes);
    bml_nn_free_bytes(plain);
    bml_nn_free(again);
    bml_nn_free(net);
}

/* ---- every allocation fails once ---- */

typedef struct workload { /* what may exist when it ends */
    bml_nn *net;
    bml_nn *again;
    bml_nn_work *work;
    bml_nn_trainer *trainer;
    unsigned char *bytes;
    char why[BML_NN_MESSAGE];
} workload;

static int metrics(void) {
    static const double levels[] = {0.1, 0.9};
    int set[ROWS];
    double d;
    bml_nn_real mean[OUT];
    bml_nn_real sd[OUT];
    bml_nn_real quantiles[2 * OUT];
    bml_nn_spread spread = {mean, sd, quantiles, levels, 2};
    int status = bml_nn_split(set, NULL, 3, NULL, ROWS, 1);
    if (!status) status = bml_nn_ks(&d, data_x, ROWS, data_y, ROWS);
    if (!status) status = bml_nn_dtw(&d, data_x, ROWS, data_y, ROWS);
    if (!status) status = bml_nn_summarize_draws(&spread, data_y, ROWS, OUT);
    return status;
}

static int work_all(workload *w) {
    bml_nn_training how = lesson();
    bml_nn_real y[3 * ROWS * OUT];
    bml_nn_real dx[ROWS * IN];
    size_t size;
    int status = bml_nn_create(&w->net, &config, w->why);
    if (!status) status = bml_nn_fit_scaler(w->net, BML_NN_INPUTS, BML_NN_STANDARD, data_x, ROWS);
    if (!status) status = bml_nn_set_text(w->net, "units", "erg");
    if (!status) status = bml_nn_set_array(w->net, "error", data_y, 5);
    if (!status) status = bml_nn_set_text(w->net, "units", "a longer text in its place");
    if (!status) status = bml_nn_trainer_create(&w->trainer, w->net, &how, w->why);
    if (!status) status = bml_nn_trainer_run(w->trainer, 1);
    if (!status) status = bml_nn_trainer_save(w->trainer, checkpoint);
    if (!status) status = bml_nn_trainer_run(w->trainer, 1);
    if (!status) status = bml_nn_trainer_load(w->trainer, checkpoint);
    if (!status) status = bml_nn_work_create(&w->work, w->net, 5, 2, w->why);
    if (!status) status = bml_nn_predict(w->net, w->work, y, data_x, ROWS);
    if (!status) status = bml_nn_predict(w->net, NULL, y, data_x, ROWS);
    if (!status) status = bml_nn_draws(w->net, NULL, y, data_x, ROWS, 3, 1);
    if (!status) status = bml_nn_vjp(w->net, w->work, dx, NULL, data_y, data_x, ROWS);
    if (!status) status = bml_nn_gradient(w->net, NULL, dx, 1, data_x, ROWS);
    if (!status) status = bml_nn_encode(w->net, &w->bytes, &size, BML_NN_F16);
    if (!status) status = bml_nn_save(w->net, path, BML_NN_F32);
    if (!status) status = bml_nn_load(&w->again, path, w->why);
    if (!status) status = metrics();
    return status;
}

static void test_no_memory(void) {
    const long before = live_blocks;
    long k = 0;
    int status = BML_NN_NO_MEMORY;
    int silent = 0;
    for (; status && k < 2000; k++) {
        workload w;
        memset(&w, 0, sizeof w);
        allocations_left = k;
        status = work_all(&w);
        int reached = allocations_left == 0;
        allocations_left = -1;
        silent += status && !w.net && !strstr(w.why, "memory");
        bml_nn_trainer_free(w.trainer);
        bml_nn_work_free(w.work);
        bml_nn_free_bytes(w.bytes);
        bml_nn_free(w.again);
        bml_nn_free(w.net);
        if (status && status != BML_NN_NO_MEMORY) CHECK(0, "allocation %ld: %s", k, bml_nn_strerror(status));
        if (status && !reached) CHECK(0, "allocation %ld was not reached", k);
        if (live_blocks != before) {
            CHECK(0, "allocation %ld fails: %ld blocks are lost", k, live_blocks - before);
            return;
        }
    }
    CHECK(!status && k > 40 && !silent, "each of %ld allocations failed once: NO_MEMORY, nothing lost", k - 1);
    remove(path);
    remove(checkpoint);
}

/* ---- files of another machine, and with every word changed ---- */

/* What lies in a file does not depend on the byte order: 1, -2 as F32 and 1 as F64. */
static void test_bytes(void) {
    static const unsigned char f32[] = {0x00, 0x00, 0x80, 0x3F, 0x00, 0x00, 0x00, 0xC0};
    static const unsigned char f64[] = {0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0, 0, 0, 0, 0, 0, 0x00, 0xC0};
    static const unsigned char f16[] = {0x00, 0x3C, 0x00, 0xC0};
    static const unsigned char bf16[] = {0x80, 0x3F, 0x00, 0xC0};
    const unsigned char *want[] = {f32, f16, bf16, f64};
    const size_t length[] = {sizeof f32, sizeof f16, sizeof bf16, sizeof f64};
    bml_nn_layer l[2] = {{.kind = BML_NN_INPUT, .features = 1}, {.kind = BML_NN_DENSE, .units = 1}};
    bml_nn_config c = {l, 2, 0};
    bml_nn *net;
    if (bml_nn_create(&net, &c, NULL)) exit(1);
    bml_nn_params(net)[0] = 1;
    bml_nn_params(net)[1] = -2;
    for (int storage = BML_NN_F32; storage <= BML_NN_F64; storage++) {
        unsigned char *bytes;
        size_t size;
        int status = bml_nn_encode(net, &bytes, &size, storage);
        size_t n = length[storage];
        size_t header = status ? 0 : bytes[0] + 256u * bytes[1];
        CHECK(!status && size == 8 + header + n && !memcmp(bytes + 8 + header, want[storage], n),
              "the bytes of 1 and -2 in storage %d are little endian", storage);
        if (!status) bml_nn_free_bytes(bytes);
    }
    bml_nn_free(net);
}

static const uint32_t changes[] = {0x00000001u, 0x80000000u, 0x7F800000u, 0xFFFFFFFFu,
                                   0x20202020u, 0x41000000u, 0x00003939u};
enum { N_CHANGES = sizeof changes / sizeof *changes };

static void change_word(unsigned char *bytes, size_t at, size_t size, uint32_t with) {
    for (size_t k = 0; k < 4 && at + k < size; k++) {
        bytes[at + k] ^= (unsigned char)(with >> (8 * k));
    }
}

/* Refused with a reason, or a net that predicts and comes back from its own bytes. Returns 1 when accepted, -1 if wrong. */
static int judge_bytes(const unsigned char *bytes, size_t size) {
    char why[BML_NN_MESSAGE];
    bml_nn *net = NULL;
    bml_nn *again = NULL;
    unsigned char *own = NULL;
    size_t n = 0;
    bml_nn_real y[64];
    if (bml_nn_decode(&net, bytes, size, why)) return net || !*why ? -1 : 0;
    int good = bml_nn_n_in(net) <= ROWS * IN && bml_nn_n_out(net) <= 64;
    good = !good || !bml_nn_predict(net, NULL, y, data_x, 1);
    good = good && !bml_nn_encode(net, &own, &n, BML_NN_F32) && !bml_nn_decode(&again, own, n, why);
    bml_nn_free_bytes(own);
    bml_nn_free(again);
    bml_nn_free(net);
    return good ? 1 : -1;
}

static void test_words(void) {
    bml_nn *net = made();
    unsigned char *bytes = NULL;
    size_t size = 0;
    long accepted = 0;
    long wrong = 0;
    bml_nn_set_text(net, "units", "erg");
    bml_nn_set_array(net, "error", data_y, 5);
    bml_nn_fit_scaler(net, BML_NN_INPUTS, BML_NN_STANDARD, data_x, ROWS);
    if (bml_nn_encode(net, &bytes, &size, BML_NN_F32)) exit(1);
    unsigned char *copy = malloc(size);
    if (!copy) exit(1);
    const long before = live_blocks;
    for (size_t at = 0; at < size; at += 4) {
        for (int k = 0; k < N_CHANGES; k++) {
            memcpy(copy, bytes, size);
            change_word(copy, at, size, changes[k]);
            int verdict = judge_bytes(copy, size);
            accepted += verdict > 0;
            wrong += verdict < 0;
        }
    }
    CHECK(!wrong && live_blocks == before, "each of %zu words changed in %d ways: %ld accepted, %ld wrongly", size / 4,
          N_CHANGES, accepted, wrong);
    free(copy);
    bml_nn_free_bytes(bytes);
    bml_nn_free(net);
}

static unsigned char *read_whole(const char *name, size_t *size) {
    FILE *f = fopen(name, "rb");
    unsigned char *bytes = malloc(1 << 20);
    if (!f || !bytes) exit(1);
    *size = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

static void write_whole(const char *name, const unsigned char *bytes, size_t size) {
    FILE *f = fopen(name, "wb");
    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f)) exit(1);
}

/* A checkpoint with every word changed: refused, and trainer and net are as they were, or taken, and training goes on. */
static void test_checkpoint_words(void) {
    bml_nn *net = made();
    bml_nn_training how = lesson();
    bml_nn_trainer *t;
    long accepted = 0;
    long wrong = 0;
    size_t size;
    if (bml_nn_trainer_create(&t, net, &how, NULL) || bml_nn_trainer_run(t, 1)) exit(1);
    if (bml_nn_trainer_save(t, checkpoint)) exit(1);
    const size_t n = bml_nn_n_params(net) * sizeof(bml_nn_real);
    unsigned char *bytes = read_whole(checkpoint, &size);
    unsigned char *copy = malloc(size);
    void *weights = malloc(n);
    if (!copy || !weights) exit(1);
    const int quick = getenv("BML_CHECK_QUICK") != NULL;
    for (size_t at = 0; at < size; at += quick ? 20 : 4) {
        const uint32_t with = changes[at / 4 % N_CHANGES];
        memcpy(copy, bytes, size);
        change_word(copy, at, size, with);
        write_whole(checkpoint, copy, size);
        memcpy(weights, bml_nn_params(net), n);
        bml_nn_epoch last = bml_nn_trainer_last(t);
        if (bml_nn_trainer_load(t, checkpoint)) {
            bml_nn_epoch now = bml_nn_trainer_last(t);
            wrong += memcmp(weights, bml_nn_params(net), n) || now.epoch != last.epoch || !*bml_nn_message(net);
            continue;
        }
        accepted++;
        int status = bml_nn_trainer_run(t, 1);
        wrong += status && status != BML_NN_NAN;
        write_whole(checkpoint, bytes, size);
        wrong += bml_nn_trainer_load(t, checkpoint) != BML_NN_OK;
    }
    CHECK(!wrong, "each of %zu words of a checkpoint changed: %ld accepted, %ld wrong", size / 4, accepted, wrong);
    free(weights);
    free(copy);
    free(bytes);
    bml_nn_trainer_free(t);
    bml_nn_free(net);
    remove(checkpoint);
}

/* ---- writers to one path ---- */

static int exists(const char *name) {
    struct stat s;
    return !stat(name, &s);
}

/* Several processes write nets of their own to one path again and again; every file that is read in between is whole. */
static void test_writers(void) {
    enum { WRITERS = 4, TIMES = 150 };
    pid_t child[WRITERS];
    int status = 0;
    int failed = 0;
    int bad = 0;
    bml_nn *net = made();
    if (bml_nn_save(net, path, BML_NN_F64)) exit(1);
    fflush(stdout);
    for (int i = 0; i < WRITERS; i++) {
        child[i] = fork();
        if (child[i] < 0) exit(1);
        if (child[i] > 0) continue;
        int lost = 0;
        for (int k = 0; k < TIMES; k++) {
            bml_nn_params(net)[0] = (bml_nn_real)(i * TIMES + k);
            lost += bml_nn_save(net, path, k % 2 ? BML_NN_F64 : BML_NN_F16) != BML_NN_OK;
        }
        _exit(lost ? 1 : 0);
    }
    for (int k = 0; k < 200; k++) {
        bml_nn *again;
        bad += bml_nn_load(&again, path, NULL) != BML_NN_OK;
        bml_nn_free(again);
    }
    for (int i = 0; i < WRITERS; i++) {
        waitpid(child[i], &status, 0);
        failed += !WIFEXITED(status) || WEXITSTATUS(status);
    }
    CHECK(!bad && !failed, "%d writers of one path: %d bad reads, %d writers that lost", WRITERS, bad, failed);
    char name[96];
    int left = 0;
    for (int k = 0; k < 64; k++) {
        snprintf(name, sizeof name, "%s.part-%d", path, k);
        left += exists(name);
    }
    CHECK(!left, "no temporary file is left (%d)", left);
    bml_nn_free(net);
}

/* A writer that is killed in between: its file is replaced and gone after the next save. */
static void test_killed(void) {
    char name[96];
    bml_nn *net = made();
    fflush(stdout);
    snprintf(name, sizeof name, "%s.part-0", path);
    pid_t child = fork();
    if (child < 0) exit(1);
    if (child == 0) {
        int fd;
        if (!bml_nn__open_slot(&fd, name) || fd < 0 || write(fd, "half", 4) != 4) _exit(1);
        kill(getpid(), SIGKILL);
        _exit(1);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) && exists(name), "a killed writer leaves its file");
    status = bml_nn_save(net, path, BML_NN_F32);
    bml_nn *again = NULL;
    CHECK(!status && !exists(name) && !bml_nn_load(&again, path, NULL),
          "the next save takes its place, and nothing stays");
    bml_nn_free(again);
    /* while a living writer holds the first name, the second serves */
    int fd;
    CHECK(bml_nn__open_slot(&fd, name) && fd >= 0 && !bml_nn_save(net, path, BML_NN_F32),
          "saved beside a living writer");
    CHECK(exists(name), "whose file is not touched");
    close(fd);
    CHECK(!bml_nn_save(net, path, BML_NN_F32) && !exists(name), "until it is dead");
    bml_nn_free(net);
    remove(path);
}

int main(int argc, char **argv) {
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, check_seed(argc, argv), 0);
    for (int i = 0; i < ROWS * IN; i++) {
        data_x[i] = (bml_nn_real)bml_nn_rng_normal(&rng);
    }
    for (int i = 0; i < ROWS * OUT; i++) {
        data_y[i] = (bml_nn_real)bml_nn_rng_uniform(&rng);
    }
    test_refusals();
    test_locale();
    test_no_memory();
    test_bytes();
    test_words();
    test_checkpoint_words();
    test_writers();
    test_killed();
    CHECK(live_blocks == 0, "nothing is left allocated");
    return check_done();
}
