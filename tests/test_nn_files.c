/* test_nn_files.c: the files of bml_nn.h. What was saved comes back to the bit; a damaged, hostile or foreign file is
   refused with a message that names the tensor, leaves no memory behind and leaves the network as it was; so does a
   lack of memory at any point. */
#include <stdlib.h>
/* Allocations that can be made to fail, and are counted. */
static long allocations_left = -1, live_blocks; /* -1: no limit */
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
#undef BML_NN_IMPLEMENTED /* with an allocator of its own */
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"

#include "check.h"
#include <string.h>
#include <time.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
static const char path[] = "test_nn_files.tmp";

/* >> nets and bytes */

/* Every kind of layer and every field that a file describes; `large` 0: a dense layer "d", 3 inputs, 2 outputs. */
static bml_nn *make(int large) {
    bml_nn_layer l[16];
    bml_nn *net = NULL;
    int n = 0;
    memset(l, 0, sizeof l);
    bml_nn_config config;
    memset(&config, 0, sizeof config);
    if (large) {
        l[n].kind = BML_NN_INPUT;
        l[n].name = "time-line";
        l[n].steps = 8;
        l[n++].features = 2;
        l[n].kind = BML_NN_INPUT;
        l[n].name = "rest";
        l[n++].features = 3;
        l[n].kind = BML_NN_CONV;
        l[n].from[0] = "time-line";
        l[n].units = 3;
        l[n].kernel = 3;
        l[n].same = 1;
        l[n].init = BML_NN_HE;
        l[n].activation = BML_NN_LEAKY_RELU;
        l[n++].slope = 0.3;
        l[n++].kind = BML_NN_BATCH_NORM;
        l[n].kind = BML_NN_POOL;
        l[n].kernel = 3;
        l[n++].stride = 1;
        l[n].kind = BML_NN_LSTM;
        l[n].units = 2;
        l[n].sequence = 1;
        l[n++].bidirectional = 1;
        l[n].kind = BML_NN_RNN;
        l[n].units = 2;
        l[n].sequence = 1;
        l[n++].activation = BML_NN_RELU;
        l[n].kind = BML_NN_GRU;
        l[n].units = 3;
        l[n++].reset_before = 1;
        l[n].kind = BML_NN_LAYER_NORM;
        l[n++].name = "norm";
        l[n].kind = BML_NN_RESHAPE;
        l[n].from[0] = "rest";
        l[n].steps = 3;
        l[n++].features = 1;
        l[n].kind = BML_NN_GRU;
        l[n].name = "g";
        l[n++].units = 2;
        l[n].kind = BML_NN_CONCAT;
        l[n].from[0] = "norm";
        l[n++].from[1] = "g";
        l[n].kind = BML_NN_DROPOUT;
        l[n++].rate = 0.125;
        l[n].kind = BML_NN_BAYES;
        l[n].units = 4;
        l[n].prior_sd = 0.7;
        l[n++].activation = BML_NN_SILU;
        l[n].kind = BML_NN_DENSE;
        l[n].units = 2;
        l[n++].activation = BML_NN_SOFTMAX;
    } else {
        l[n].kind = BML_NN_INPUT;
        l[n++].features = 3;
        l[n].kind = BML_NN_DENSE;
        l[n].name = "d";
        l[n++].units = 2;
    }
    config.layers = l;
    config.n_layers = n;
    config.seed = 5;
    char why[BML_NN_MESSAGE];
    int status = bml_nn_create(&net, &config, why);
    if (status) {
        CHECK(0, "bml_nn_create: %s: %s", bml_nn_strerror(status), why);
        exit(check_done() + 1);
    }
    return net;
}

static unsigned char *encode(bml_nn *net, size_t *size, int storage) {
    unsigned char *bytes = NULL;
    int status = bml_nn_encode(net, &bytes, size, storage);
    if (status) CHECK(0, "bml_nn_encode: %s: %s", bml_nn_strerror(status), bml_nn_message(net));
    return bytes;
}

static size_t header_length(const unsigned char *bytes) {
    return bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16;
}

static void put_length(unsigned char *bytes, uint64_t n) {
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(n >> 8 * i);
}

/* bytes[size] with the first `from` in its header replaced by `to`, and the length set right; *size changes. */
static unsigned char *edit(const unsigned char *bytes, size_t *size, const char *from, const char *to) {
    size_t n = header_length(bytes);
    size_t a = strlen(from);
    size_t b = strlen(to);
    unsigned char *out = (unsigned char *)malloc(*size + b);
    if (!out) exit(1);
    size_t i;
    for (i = 8; i + a <= 8 + n && memcmp(bytes + i, from, a) != 0; i++)
        continue;
    if (i + a > 8 + n) {
        CHECK(0, "the header does not hold %s", from);
        i = 8;
        a = b = 0;
    }
    memcpy(out, bytes, i);
    memcpy(out + i, to, b);
    memcpy(out + i + b, bytes + i + a, *size - i - a);
    put_length(out, n - a + b);
    *size = *size - a + b;
    return out;
}

static void write_bytes(const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f)) CHECK(0, "cannot write %s", path);
}

/* >> what was saved comes back */

static int same_bits(const bml_nn_real *a, const bml_nn_real *b, size_t n) {
    return a && b && !memcmp(a, b, n * sizeof *a);
}

static void test_round_trip(void) {
    static const char text[] = "cm, \"G\" \\ /\b\f\n\r\t\x01\x1f\x7f \xc3\xa9 \xe2\x82\xac \xf0\x9f\x8c\x8c";
    const int storage = sizeof(bml_nn_real) == sizeof(float) ? BML_NN_F32 : BML_NN_F64;
    bml_nn *net = make(1);
    bml_nn *again = NULL;
    bml_nn_real x[19 * 2];
    bml_nn_real y[4];
    bml_nn_real z[4];
    bml_nn_real shift[19];
    bml_nn_real scale[19];
    size_t size = 0;
    size_t n = 0;
    char a[4096] = "";
    char b[4096] = "";
    for (size_t i = 0; i < 38; i++) {
        x[i] = (bml_nn_real)sin((double)i);
        shift[i % 19] = (bml_nn_real)i / 7;
        scale[i % 19] = (bml_nn_real)i / 9 + 1;
    }
    CHECK(bml_nn_n_in(net) == 19, "19 numbers in a row");
    CHECK(!bml_nn_set_scaler(net, BML_NN_INPUTS, shift, scale) && !bml_nn_set_scaler(net, BML_NN_OUTPUTS, shift, scale),
          "scalers");
    CHECK(!bml_nn_set_text(net, "a-text_0", text) && !bml_nn_set_text(net, "empty", ""), "texts");
    CHECK(!bml_nn_set_array(net, "grid", x, 38), "an array");
    unsigned char *bytes = encode(net, &size, storage);
    char why[BML_NN_MESSAGE];
    int status = bml_nn_decode(&again, bytes, size, why);
    CHECK(!status, "every kind of layer is read again: %s %s", bml_nn_strerror(status), why);
    if (!status) {
        bml_nn_summary(a, sizeof a, net);
        bml_nn_summary(b, sizeof b, again);
        CHECK(!strcmp(a, b), "the same layers");
        CHECK(bml_nn_n_params(net) == bml_nn_n_params(again) &&
                  same_bits(bml_nn_params(net), bml_nn_params(again), bml_nn_n_params(net)),
              "the same weights");
        CHECK(!bml_nn_predict(net, NULL, y, x, 2) && !bml_nn_predict(again, NULL, z, x, 2) && same_bits(y, z, 4),
              "the same predictions");
        CHECK(bml_nn_get_text(again, "a-text_0") && !strcmp(bml_nn_get_text(again, "a-text_0"), text), "the same text");
        CHECK(bml_nn_get_text(again, "empty") && !*bml_nn_get_text(again, "empty"), "an empty text");
        CHECK(same_bits(bml_nn_get_array(again, "grid", &n), x, 38) && n == 38, "the same array");
        CHECK(!bml_nn_draws(net, NULL, y, x, 1, 2, 7) && !bml_nn_draws(again, NULL, z, x, 1, 2, 7) &&
                  same_bits(y, z, 4),
              "the same draws");
    }
    bml_nn_free(again);
    bml_nn_free_bytes(bytes);
    bml_nn_free(net);
}

/* What a user may set must not make a file that cannot be read: either it is refused, or it comes back. */
static void test_texts(void) {
    static const struct {
        const char *name, *text;
    } rows[] = {{"note", "not UTF-8: \xff"},
                {"note", "cut short: \xe2\x82"},
                {"note", "a surrogate: \xed\xa0\x80"},
                {"bml_nn", "2"},
                {"bml_nn-layers", "x"},
                {"bml_nnx", "x"},
                {"format", "pt"},
                {"__metadata__", "x"},
                {"-", "x"}};
    size_t size = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        bml_nn *net = make(0);
        bml_nn *again = NULL;
        unsigned char *bytes = NULL;
        int refused = bml_nn_set_text(net, rows[i].name, rows[i].text) || bml_nn_encode(net, &bytes, &size, BML_NN_F32);
        char why[BML_NN_MESSAGE] = "";
        int status = refused ? 0 : bml_nn_decode(&again, bytes, size, why);
        const char *back = refused || status ? NULL : bml_nn_get_text(again, rows[i].name);
        CHECK(refused || (back && !strcmp(back, rows[i].text)), "text %d, \"%s\", is refused or comes back: %s %s",
              (int)i, rows[i].name, bml_nn_strerror(status), why);
        bml_nn_free(again);
        bml_nn_free_bytes(bytes);
        bml_nn_free(net);
    }
}

/* Layers' decimal fields of any size come back or are refused; tensors too large for their storage are refused. */
static void test_numbers(void) {
    static const double sds[] = {1e-3, 1.0 / 3, 1e-17, 1e13, 1e15, 12345.678901234567};
    static const double too_large[] = {65520, 65536, 131072, 262144, 1e6, 1e10, 3e38, -131072};
    size_t size = 0;
    for (size_t i = 0; i < COUNT(sds); i++) {
        bml_nn_layer l[2];
        bml_nn *net = NULL;
        bml_nn *again = NULL;
        bml_nn_epoch report[2];
        bml_nn_real x = 1;
        bml_nn_real y = 1;
        unsigned char *bytes = NULL;
        memset(l, 0, sizeof l);
        bml_nn_config config;
        memset(&config, 0, sizeof config);
        bml_nn_training how;
        memset(&how, 0, sizeof how);
        memset(report, 0, sizeof report);
        l[0].kind = BML_NN_INPUT;
        l[0].features = 1;
        l[1].kind = BML_NN_BAYES;
        l[1].units = 1;
        l[1].prior_sd = sds[i];
        config.layers = l;
        config.n_layers = 2;
        if (bml_nn_create(&net, &config, NULL) || bml_nn_encode(net, &bytes, &size, BML_NN_F32)) {
            CHECK(1, "prior_sd %g is refused", sds[i]);
        } else {
            char why[BML_NN_MESSAGE];
            int status = bml_nn_decode(&again, bytes, size, why);
            how.x = &x;
            how.y = &y;
            how.n = 1;
            how.epochs = 1;
            if (!status) { /* its loss holds the prior */
                int s = bml_nn_train(net, &how, &report[0]);
                int t = bml_nn_train(again, &how, &report[1]);
                CHECK(s == t && (s || fabs(report[0].loss - report[1].loss) <= 1e-6 * fabs(report[0].loss)),
                      "prior_sd %g comes back: loss %.9g and %.9g", sds[i], report[0].loss, report[1].loss);
            } else {
                CHECK(0, "prior_sd %g is saved but not read: %s", sds[i], why);
            }
        }
        bml_nn_free(again);
        bml_nn_free_bytes(bytes);
        bml_nn_free(net);
    }
    for (size_t i = 0; i < COUNT(too_large); i++) {
        bml_nn *net = make(0);
        unsigned char *bytes = NULL;
        bml_nn_params(net)[4] = (bml_nn_real)too_large[i];
        int status = bml_nn_encode(net, &bytes, &size, BML_NN_F16);
        CHECK(status == BML_NN_BAD_DATA && strstr(bml_nn_message(net), "d.kernel"), "%g does not fit float16: %s: %s",
              too_large[i], bml_nn_strerror(status), bml_nn_message(net));
        if (!status) bml_nn_free_bytes(bytes);
        bytes = NULL;
        bml_nn_params(net)[4] = i & 1 ? (bml_nn_real)NAN : (bml_nn_real)-INFINITY;
        status = bml_nn_encode(net, &bytes, &size, BML_NN_BF16);
        CHECK(status == BML_NN_BAD_DATA && strstr(bml_nn_message(net), "d.kernel"),
              "a weight that is not finite is not saved: %s", bml_nn_message(net));
        if (!status) bml_nn_free_bytes(bytes);
        bml_nn_free(net);
    }
}

static void test_paths(void) {
    bml_nn *net = make(0);
    bml_nn *again = NULL;
    char other[64];
    snprintf(other, sizeof other, "%s.part", path);
    CHECK(!bml_nn_save(net, path, BML_NN_F64), "saved");
    FILE *f = fopen(other, "rb");
    CHECK(!f, "no temporary file is left");
    if (f) fclose(f);
    CHECK(!bml_nn_load(&again, path, NULL) && same_bits(bml_nn_params(net), bml_nn_params(again), 8), "loaded");
    bml_nn_free(again);
    again = NULL;
    int status = bml_nn_save(net, "no/such/folder/net", BML_NN_F32);
    CHECK(status == BML_NN_CANNOT_OPEN && strstr(bml_nn_message(net), "no/such/folder"), "no folder: %s: %s",
          bml_nn_strerror(status), bml_nn_message(net));
    char why[BML_NN_MESSAGE];
    status = bml_nn_load(&again, "no/such/folder/net", why);
    CHECK(status == BML_NN_CANNOT_OPEN && !again && strstr(why, "no/such/folder"), "no file: %s",
          bml_nn_strerror(status));
    bml_nn_free(again);
    again = NULL;
    status = bml_nn_load(&again, ".", why);
    CHECK(status == BML_NN_CANNOT_OPEN && !again && *why, "a folder: %s", bml_nn_strerror(status));
    bml_nn_free(again);
    bml_nn_params(net)[0] = (bml_nn_real)NAN;
    CHECK(bml_nn_save(net, path, BML_NN_F32) == BML_NN_BAD_DATA, "a NaN is not saved");
    again = NULL;
    CHECK(!bml_nn_load(&again, path, NULL), "and the older file is still there");
    bml_nn_free(again);
    bml_nn_free(net);
    remove(path);
}

/* >> damaged files of our own */

/* Must be refused, with a message that holds `names` (NULL: any message). */
static void refused(const char *what, const unsigned char *bytes, size_t size, const char *names) {
    bml_nn *net = NULL;
    unsigned char *exact = (unsigned char *)malloc(size ? size : 1); /* so that a sanitizer sees a byte too much */
    long before = live_blocks;
    if (!exact) exit(1);
    memcpy(exact, bytes, size);
    char why[BML_NN_MESSAGE];
    int status = bml_nn_decode(&net, exact, size, why);
    CHECK(status < 0 && status != BML_NN_NO_MEMORY && !net && *why && (!names || strstr(why, names)), "%s: %s: %s",
          what, bml_nn_strerror(status), why);
    bml_nn_free(net);
    CHECK(live_blocks == before, "%s: no memory is left behind", what);
    free(exact);
}

static void test_truncated(void) {
    bml_nn *net = make(1);
    bml_nn *part = NULL;
    size_t size = 0;
    size_t accepted = 0;
    size_t silent = 0;
    unsigned char *bytes = encode(net, &size, BML_NN_F16);
    for (size_t n = 0; n < size; n++) {
        unsigned char *exact = (unsigned char *)malloc(n ? n : 1);
        if (!exact) exit(1);
        memcpy(exact, bytes, n);
        char why[BML_NN_MESSAGE];
        accepted += !bml_nn_decode(&part, exact, n, why);
        silent += part || !*why;
        bml_nn_free(part);
        free(exact);
    }
    CHECK(!accepted && !silent, "cut at each of %zu bytes: %zu accepted, %zu without a message", size, accepted,
          silent);
    bml_nn_free_bytes(bytes);
    bml_nn_free(net);
}

static void test_edited(void) {
    static const struct {
        const char *what, *from, *to, *names;
    } rows[] = {
        {"a missing tensor", "\"d.bias\"", "\"d.bios\"", "d.bias"},
        {"a tensor of another dtype", "\"d.kernel\":{\"dtype\":\"F32\"", "\"d.kernel\":{\"dtype\":\"I32\"", "d.kernel"},
        {"a tensor of half the dtype", "\"d.kernel\":{\"dtype\":\"F32\"", "\"d.kernel\":{\"dtype\":\"F16\"",
         "d.kernel"},
        {"a transposed tensor", "\"shape\":[3,2]", "\"shape\":[2,3]", "d.kernel"},
        {"a flat tensor", "\"shape\":[3,2]", "\"shape\":[6]", "d.kernel"},
        {"a shape beyond 64 bits", "\"shape\":[3,2]", "\"shape\":[36893488147419103235,2]", "d.kernel"},
        {"a shape whose product overflows", "\"shape\":[3,2]", "\"shape\":[4611686018427387904,4,3,2]", "d.kernel"},
        {"a negative shape", "\"shape\":[3,2]", "\"shape\":[-3,-2]", "d.kernel"},
        {"offsets beyond 64 bits", "[0,24]", "[0,18446744073709551640]", "d.kernel"},
        {"offsets in reverse", "[0,24]", "[24,0]", "d.kernel"},
        {"offsets past the end", "[24,32]", "[32,40]", "d.bias"},
        {"offsets that overlap", "[24,32]", "[20,28]", "d.bias"},
        {"a layer of another width", "units=2", "units=3", "d.kernel"},
        {"a layer of no width", "units=2", "units=0", "d"},
        {"a layer of a negative width", "units=2", "units=-2", "units"},
        {"a width of half a unit", "units=2", "units=2.5", "units"},
        {"a width beyond int", "units=2", "units=4294967298", "units"},
        {"an unknown kind", "; dense", "; danse", "danse"},
        {"an unknown field", "units=2", "unite=2", "unite"},
        {"an unknown activation", "units=2", "units=2 activation=sine", "activation"},
        {"a layer that takes itself", "from=input_0", "from=d", "d"},
        {"a layer that takes nothing known", "from=input_0", "from=x", "x"},
        {"a field twice", "units=2", "units=3 units=2", "units"},
        {"a second layer of the same name", "name=d", "name=input_0", "input_0"},
        {"no architecture", "bml_nn.layers", "bml_nn.lairs", "architecture"},
        {"gates in another order", "gru z r n", "gru r z n", "gates"}};
    bml_nn *net = make(0);
    size_t size = 0;
    size_t n;
    unsigned char *bytes = encode(net, &size, BML_NN_F32);
    unsigned char *changed;
    for (size_t i = 0; i < COUNT(rows); i++) {
        n = size;
        changed = edit(bytes, &n, rows[i].from, rows[i].to);
        refused(rows[i].what, changed, n, rows[i].names);
        free(changed);
    }
    changed = (unsigned char *)malloc(size + 8);
    if (!changed) exit(1);
    memcpy(changed, bytes, size);
    memset(changed + size, 0, 8);
    refused("a byte too many", changed, size + 1, NULL);
    for (size_t i = 0; i < 4; i++) { /* NaN, infinities */
        static const unsigned char top[4][2] = {{0xc0, 0x7f}, {0x80, 0x7f}, {0x80, 0xff}, {0xff, 0xff}};
        memcpy(changed, bytes, size);
        memcpy(changed + size - 2, top[i], 2);
        refused("a weight that is not finite", changed, size, "d.bias");
    }
    for (size_t i = 0; i < 7; i++) {
        const uint64_t lengths[7] = {
            0, 1, header_length(bytes) - 1, header_length(bytes) + 1, size, (uint64_t)1 << 63, ~(uint64_t)0};
        memcpy(changed, bytes, size);
        put_length(changed, lengths[i]);
        refused("a wrong length of the header", changed, size, NULL);
    }
    free(changed);
    bml_nn_free_bytes(bytes);
    bml_nn_free(net);
}

/* Any one byte changed, and any few: refused with a message, or a net that can be saved again. */
static void test_flipped(unsigned long seed) {
    bml_nn *net = make(1);
    size_t size = 0;
    size_t wrong = 0;
    size_t accepted = 0;
    size_t n = getenv("BML_CHECK_QUICK") ? 500 : 20000;
    unsigned char *bytes = encode(net, &size, BML_NN_F32);
    unsigned char *copy = (unsigned char *)malloc(size);
    long before = live_blocks;
    if (!copy) exit(1);
    size_t header = header_length(bytes);
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, seed, 0);
    unsigned char *out;
    for (size_t i = 0; i < n; i++) {
        bml_nn *changed = NULL;
        size_t many = i % 4 + 1;
        size_t room = i % 8 ? header + 8 : size;
        memcpy(copy, bytes, size);
        for (size_t k = 0; k < many; k++) {
            size_t where = (size_t)(bml_nn_rng_uniform(&rng) * (double)room);
            copy[where] = (unsigned char)(bml_nn_rng_uniform(&rng) * 256);
        }
        char why[BML_NN_MESSAGE];
        if (!bml_nn_decode(&changed, copy, size, why)) {
            accepted++;
            size_t m;
            wrong += bml_nn_encode(changed, &out, &m, BML_NN_F32) != BML_NN_OK;
            bml_nn_free_bytes(out);
        } else {
            wrong += changed || !*why;
        }
        bml_nn_free(changed);
    }
    CHECK(!wrong, "%zu files with changed bytes: %zu accepted, %zu of them wrongly or refused without a message", n,
          accepted, wrong);
    CHECK(live_blocks == before, "no memory is left behind");
    free(copy);
    bml_nn_free_bytes(bytes);
    bml_nn_free(net);
}

/* >> files of other programs, written by hand */

typedef struct foreign {
    const char *what, *json, *names;
} foreign; /* names NULL: must be accepted */
#define W "\"d.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}"
#define B "\"d.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32]}"

/* 32 bytes of data follow: 1 ... 8 as floats. */
static void check_foreign(const foreign *row, size_t length) {
    bml_nn *net = make(0);
    bml_nn_real before[8];
    unsigned char bytes[4096] = {0};
    if (length > sizeof bytes - 64) exit(1);
    put_length(bytes, length);
    memcpy(bytes + 8, row->json, length);
    int i;
    for (i = 0; i < 8; i++) {
        float v = (float)(i + 1);
        uint32_t u;
        memcpy(&u, &v, 4);
        for (int k = 0; k < 4; k++)
            bytes[8 + length + 4 * (size_t)i + (size_t)k] = (unsigned char)(u >> 8 * k);
    }
    write_bytes(bytes, length + 40);
    memcpy(before, bml_nn_params(net), sizeof before);
    int status = bml_nn_load_weights(net, path, BML_NN_PYTORCH);
    if (!row->names) {
        const bml_nn_real *w = bml_nn_params(net); /* [3][2], then the bias */
        static const double want[8] = {1, 4, 2, 5, 3, 6, 7, 8};
        for (i = 0; i < 8 && (double)w[i] == want[i]; i++)
            continue;
        CHECK(!status && i == 8, "%s: accepted: %s %s", row->what, bml_nn_strerror(status), bml_nn_message(net));
    } else {
        CHECK(status < 0 && status != BML_NN_NO_MEMORY && *bml_nn_message(net) &&
                  strstr(bml_nn_message(net), row->names),
              "%s: %s: %s", row->what, bml_nn_strerror(status), bml_nn_message(net));
        CHECK(same_bits(before, bml_nn_params(net), 8), "%s: the net is as it was", row->what);
    }
    bml_nn_free(net);
    remove(path);
}

static void test_foreign(void) {
    static const foreign rows[] = {
        {"PyTorch's file", "{" W "," B "}", NULL},
        {"spaces, another order, metadata", "{ " B " ,\n\t" W " , \"__metadata__\" : { \"format\" : \"pt\" } }     ",
         NULL},
        {"empty metadata", "{\"__metadata__\":{}," B "," W "}", NULL},
        {"a name in escapes",
         "{\"\\u0064.w\\u0065ight\":{\"shape\":[2,3],\"data_offsets\":[0,24],\"dtype\":\"F32\"}," B "}", NULL},
        {"no tensor", "{}", ""},
        {"a missing tensor", "{" W "}", ""},
        {"a missing tensor", "{" W ",\"d.bios\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32]}}", "d.bias"},
        {"a leftover tensor", "{" W "," B ",\"extra\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[32,32]}}",
         "extra"},
        {"another dtype", "{" W ",\"d.bias\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[24,32]}}", "d.bias"},
        {"integers", "{" W ",\"d.bias\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[24,32]}}", "d.bias"},
        {"an unknown dtype", "{" W ",\"d.bias\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[24,32]}}", "d.bias"},
        {"a dtype that is no text", "{" W ",\"d.bias\":{\"dtype\":32,\"shape\":[2],\"data_offsets\":[24,32]}}",
         "d.bias"},
        {"another shape", "{" W ",\"d.bias\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[24,32]}}", "d.bias"},
        {"a transposed tensor", "{\"d.weight\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[0,24]}," B "}",
         "d.weight"},
        {"no shape", "{" W ",\"d.bias\":{\"dtype\":\"F32\",\"data_offsets\":[24,32]}}", "d.bias"},
        {"no offsets", "{" W ",\"d.bias\":{\"dtype\":\"F32\",\"shape\":[2]}}", "d.bias"},
        {"an offset too few", "{" W ",\"d.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24]}}", "d.bias"},
        {"an offset too many", "{" W ",\"d.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32,40]}}",
         "d.bias"},
        {"a shape of fractions", "{" W ",\"d.bias\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[24,32]}}",
         "d.bias"},
        {"a shape with an exponent", "{" W ",\"d.bias\":{\"dtype\":\"F32\",\"shape\":[2e0],\"data_offsets\":[24,32]}}",
         "d.bias"},
        {"nine dimensions",
         "{" W ",\"d.bias\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[24,32]}}", "d.bias"},
        {"2^64 + 2 as shape",
         "{" W ",\"d.bias\":{\"dtype\":\"F32\",\"shape\":[18446744073709551618],\"data_offsets\":[24,32]}}", "d.bias"},
        {"2^64 + 32 as offset",
         "{" W ",\"d.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,18446744073709551648]}}", "d.bias"},
        {"a product beyond 64 bits",
         "{" W ",\"d.bias\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,2],\"data_offsets\":[24,32]}}",
         "d.bias"},
        {"bytes beyond 64 bits",
         "{" W ",\"d.bias\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[24,24]}}", "d.bias"},
        {"a negative offset", "{" W ",\"d.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", "d.bias"},
        {"offsets in reverse", "{" W ",\"d.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[32,24]}}",
         "d.bias"},
        {"offsets that overlap", "{" W ",\"d.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[20,28]}}",
         "d.bias"},
        {"both at the same place",
         "{\"d.weight\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[0,12]},\"d.bias\":{\"dtype\":\"F32\","
         "\"shape\":[2],"
         "\"data_offsets\":[0,8]}}",
         "d."},
        {"a gap", "{\"d.weight\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[0,12]}," B "}", "d.bias"},
        {"bytes left over",
         "{\"d.weight\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[0,12]},\"d.bias\":{\"dtype\":\"F32\","
         "\"shape\":[2],"
         "\"data_offsets\":[12,20]}}",
         ""},
        {"a tensor twice", "{" W "," B "," B "}", "d.bias"},
        {"a tensor twice, once in escapes",
         "{" W "," B ",\"d.bia\\u0073\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32]}}", "d.bias"},
        {"a field twice",
         "{" W ",\"d.bias\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32]}}", "d.bias"},
        {"metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}," W "," B "}", "metadata"},
        {"metadata that are no text", "{\"__metadata__\":{\"a\":1}," W "," B "}", "metadata"},
        {"nested metadata", "{\"__metadata__\":{\"a\":{\"b\":\"c\"}}," W "," B "}", "metadata"},
        {"an unterminated text", "{" W "," B ",\"extra", ""},
        {"an unterminated object", "{" W "," B, ""},
        {"a comma too many", "{" W "," B ",}", ""},
        {"a comma too few", "{" W B "}", ""},
        {"no colon", "{\"d.weight\"{}}", ""},
        {"a list", "[" W "]", ""},
        {"text after the end", "{" W "," B "} x", ""},
        {"two objects", "{" W "," B "}{}", ""},
        {"single quotes", "{'d.weight':{}}", ""},
        {"a name that is not UTF-8",
         "{" W "," B ",\"\xff\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[32,32]}}", ""},
        {"a name in overlong UTF-8",
         "{" W "," B ",\"\xc0\xae\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[32,32]}}", ""},
        {"half a surrogate pair",
         "{" W "," B ",\"\\ud800\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[32,32]}}", ""},
        {"a bad escape", "{" W "," B ",\"\\q\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[32,32]}}", ""},
        {"an escape cut short", "{" W "," B ",\"\\u00", ""},
        {"a zero in a name",
         "{" W "," B ",\"d.bias\\u0000\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[32,32]}}", ""},
        {"a line break in a name", "{" W "," B ",\"a\nb\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[32,32]}}",
         ""},
        {"nothing", "", ""}};
    static char deep[4000];
    static char name[3000];
    foreign row = {"deep nesting", deep, ""};
    for (size_t i = 0; i < COUNT(rows); i++)
        check_foreign(&rows[i], strlen(rows[i].json));
    for (size_t i = 0; i < 2; i++) {
        memset(deep, i ? '{' : '[', sizeof deep);
        check_foreign(&row, 3900);
        memcpy(deep, "{\"d.weight\":", 12);
        check_foreign(&row, 3900);
        memset(deep, i ? '{' : '[', 12);
        memcpy(deep, "{\"__metadata__\":", 16);
        check_foreign(&row, 3900);
    }
    memset(name, 'n', sizeof name - 1);
    row.what = "a name of 3,000 characters";
    snprintf(deep, sizeof deep, "{" W "," B ",\"%s\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[32,32]}}",
             name);
    check_foreign(&row, strlen(deep));
}

/* PyTorch's GRU resets after the product: a net that resets before it computes something else with the same weights. */
static void test_variant(void) {
    static const char json[] = "{\"g.weight_ih_l0\":{\"dtype\":\"F32\",\"shape\":[3,1],\"data_offsets\":[0,12]},"
                               "\"g.weight_hh_l0\":{\"dtype\":\"F32\",\"shape\":[3,1],\"data_offsets\":[12,24]},"
                               "\"g.bias_ih_l0\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[24,36]},"
                               "\"g.bias_hh_l0\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[36,48]}}";
    unsigned char bytes[1024] = {0};
    bml_nn_layer l[2];
    bml_nn *net = NULL;
    put_length(bytes, sizeof json - 1);
    memcpy(bytes + 8, json, sizeof json - 1);
    write_bytes(bytes, 8 + sizeof json - 1 + 48);
    bml_nn_config config;
    for (int before = 0; before < 2; before++) {
        memset(l, 0, sizeof l);
        memset(&config, 0, sizeof config);
        l[0].kind = BML_NN_INPUT;
        l[0].steps = 2;
        l[0].features = 1;
        l[1].kind = BML_NN_GRU;
        l[1].name = "g";
        l[1].units = 1;
        l[1].reset_before = before;
        config.layers = l;
        config.n_layers = 2;
        if (bml_nn_create(&net, &config, NULL)) exit(1);
        int status = bml_nn_load_weights(net, path, BML_NN_PYTORCH);
        CHECK(before ? status < 0 && strstr(bml_nn_message(net), "g") : !status,
              "PyTorch's GRU in a net that resets %s the product: %s: %s", before ? "before" : "after",
              bml_nn_strerror(status), bml_nn_message(net));
        bml_nn_free(net);
    }
    remove(path);
}

/* >> tensors whose values make no sense */

/* Puts a float at place i of a tensor of bytes[]; 0 if there is no such tensor. */
static int poke(unsigned char *bytes, const char *name, size_t i, float v) {
    size_t n = header_length(bytes);
    size_t length = strlen(name);
    size_t at = 8;
    unsigned long begin = 0;
    char field[256];
    while (at + length < 8 + n && memcmp(bytes + at, name, length) != 0)
        at++;
    snprintf(field, sizeof field, "%.*s", (int)(n + 8 - at < 200 ? n + 8 - at : 200), (const char *)bytes + at);
    const char *offsets = strstr(field, "data_offsets\":[");
    if (!offsets || sscanf(offsets, "data_offsets\":[%lu", &begin) != 1) return 0;
    uint32_t u;
    memcpy(&u, &v, 4);
    for (int k = 0; k < 4; k++)
        bytes[8 + n + begin + 4 * i + (size_t)k] = (unsigned char)(u >> 8 * k);
    return 1;
}

static void test_senseless(void) {
    static const struct {
        const char *what, *tensor;
        float value;
    } rows[] = {{"a negative variance", "batch_norm_3.variance", -1},
                {"a scale of zero", "bml_nn:inputs.scale", 0},
                {"a negative scale", "bml_nn:inputs.scale", -1}};
    bml_nn *net = make(1);
    bml_nn_real shift[19] = {0};
    bml_nn_real scale[19];
    size_t size = 0;
    for (size_t i = 0; i < 19; i++)
        scale[i] = 1;
    if (sizeof(bml_nn_real) != sizeof(float))
        SKIP("scalers are stored in double");
    else {
        bml_nn_set_scaler(net, BML_NN_INPUTS, shift, scale);
        unsigned char *bytes = encode(net, &size, BML_NN_F32);
        unsigned char *copy = (unsigned char *)malloc(size);
        if (!copy) exit(1);
        for (size_t i = 0; i < COUNT(rows); i++) {
            memcpy(copy, bytes, size);
            CHECK(poke(copy, rows[i].tensor, 1, rows[i].value), "the file holds %s", rows[i].tensor);
            refused(rows[i].what, copy, size, rows[i].tensor);
        }
        free(copy);
        bml_nn_free_bytes(bytes);
    }
    bml_nn_free(net);
}

static bml_nn_trainer *start(bml_nn *net, int epochs) {
    static const bml_nn_real x[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3};
    static const bml_nn_real y[8] = {1, 0, 0, 1, 1, 1, 0, 0};
    bml_nn_training how;
    bml_nn_trainer *t = NULL;
    memset(&how, 0, sizeof how);
    how.x = x;
    how.y = y;
    how.n = 4;
    how.batch = 2;
    how.epochs = epochs;
    how.seed = 3;
    if (bml_nn_trainer_create(&t, net, &how, NULL)) exit(1);
    return t;
}

/* One damaged checkpoint: refused with a message, and the training goes on as if nothing had been tried. */
static void refused_checkpoint(const char *what, const unsigned char *bytes, size_t size, int epochs) {
    bml_nn *net = make(0);
    bml_nn *same = make(0);
    bml_nn_trainer *t = start(net, epochs);
    bml_nn_trainer *u = start(same, epochs);
    write_bytes(bytes, size);
    int status = bml_nn_trainer_load(t, path);
    CHECK(status < 0 && *bml_nn_message(net), "%s: %s: %s", what, bml_nn_strerror(status), bml_nn_message(net));
    if (status) {
        int a = bml_nn_trainer_run(t, 2);
        int b = bml_nn_trainer_run(u, 2);
        CHECK(!a && !b && same_bits(bml_nn_params(net), bml_nn_params(same), 8), "%s: and nothing has changed", what);
    }
    bml_nn_trainer_free(t);
    bml_nn_trainer_free(u);
    bml_nn_free(net);
    bml_nn_free(same);
}

static void test_checkpoint(void) {
    static const float words[] = {-1, 0.5f, 65536, 1e30f};
    bml_nn *net = make(0);
    bml_nn *again = make(0);
    bml_nn_trainer *t = start(net, 5);
    bml_nn_trainer *u = start(again, 5);
    static unsigned char bytes[8192];
    static unsigned char copy[8192];
    size_t accepted = 0;
    char what[64];
    CHECK(!bml_nn_trainer_run(t, 2) && !bml_nn_trainer_save(t, path), "two epochs and a checkpoint");
    int status = bml_nn_trainer_load(u, path);
    CHECK(!status, "loaded: %s %s", bml_nn_strerror(status), bml_nn_message(again));
    CHECK(!bml_nn_trainer_run(t, 0) && !bml_nn_trainer_run(u, 0) &&
              same_bits(bml_nn_params(net), bml_nn_params(again), 8),
          "five epochs are the same as two, a file, and three");
    FILE *f = fopen(path, "rb");
    size_t size = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (f) fclose(f);
    CHECK(size > 8 && size < sizeof bytes, "a checkpoint of %zu bytes", size);
    bml_nn_trainer_free(t);
    bml_nn_trainer_free(u);
    bml_nn_free(net);
    bml_nn_free(again);
    if (size <= 8 || size == sizeof bytes) return;
    net = make(0);
    t = start(net, 5);
    for (size_t n = 0; n < size; n += n < size - 64 ? 17 : 1) {
        write_bytes(bytes, n);
        accepted += !bml_nn_trainer_load(t, path);
    }
    CHECK(!accepted, "a checkpoint cut at every 17th byte: %zu accepted", accepted);
    bml_nn_trainer_free(t);
    bml_nn_free(net);
    refused_checkpoint("a checkpoint of a longer training", bytes, size, 6);
    if (sizeof(bml_nn_real) != sizeof(float)) return; /* what follows pokes floats */
    for (size_t i = 0; i < COUNT(words); i++)
        for (size_t n = 0; n < 52; n += n == 28 ? 8 : 14) { /* of the step, a loss, the best one, the epoch, the end */
            memcpy(copy, bytes, size);
            if (!poke(copy, "bml_nn:trainer.counters", n, words[i])) CHECK(0, "the file holds bml_nn:trainer.counters");
            snprintf(what, sizeof what, "counter %zu is %g", n / 4, (double)words[i]);
            refused_checkpoint(what, copy, size, 5);
        }
    memcpy(copy, bytes, size); /* the epoch, number 8, is 40,000 of 5 */
    poke(copy, "bml_nn:trainer.counters", 36, 40000);
    refused_checkpoint("a checkpoint after the last epoch", copy, size, 5);
    memcpy(copy, bytes, size);
    poke(copy, "bml_nn:trainer.counters", 39, 65535);
    refused_checkpoint("a negative epoch", copy, size, 5);
    memcpy(copy, bytes, size);
    poke(copy, "bml_nn:trainer.v", 0, -1);
    refused_checkpoint("a negative square", copy, size, 5);
    remove(path);
}

/* >> files that cost much to read */

/* A header of many megabytes, or one that describes a network far larger than the file, is refused before much work. A
   reader that goes through such a header once needs a few hundredths of the two seconds allowed. */
static void test_expensive(void) {
    static const char start[] = "{\"__metadata__\":{";
    size_t n = getenv("BML_CHECK_QUICK") ? 3000 : 60000;
    size_t used = 8 + sizeof start - 1;
    size_t size = 0;
    unsigned char *bytes = (unsigned char *)malloc(64 + n * 16);
    bml_nn *net = NULL;
    if (!bytes) exit(1);
    memcpy(bytes + 8, start, sizeof start - 1);
    for (size_t i = 0; i < n; i++)
        used += (size_t)sprintf((char *)bytes + used, "%s\"%07lx\":\"\"", i ? "," : "", (unsigned long)i);
    used += (size_t)sprintf((char *)bytes + used, "}}");
    put_length(bytes, used - 8);
    clock_t from = clock();
    int status = bml_nn_decode(&net, bytes, used, NULL);
    CHECK(status < 0, "%zu texts and no network: %s", n, bml_nn_strerror(status));
    CHECK_LE((double)(clock() - from) / CLOCKS_PER_SEC, 2, "seconds to refuse many texts");
    bml_nn_free(net);
    free(bytes);

    net = make(0);
    bytes = encode(net, &size, BML_NN_F32);
    bml_nn_free(net);
    net = NULL;
    size_t m = size;
    unsigned char *changed = edit(bytes, &m, "; dense name=d from=input_0 units=2",
                                  "; reshape name=s from=input_0 steps=3 features=1; gru name=d from=s units=1000");
    from = clock();
    status = bml_nn_decode(&net, changed, m, NULL);
    CHECK(status < 0, "a network of 3 million weights in a file of %zu bytes: %s", m, bml_nn_strerror(status));
    CHECK_LE((double)(clock() - from) / CLOCKS_PER_SEC, 2, "seconds to refuse it");
    bml_nn_free(net);
    free(changed);
    bml_nn_free_bytes(bytes);
}

/* >> no memory */

/* The call fails at its first, second, ... allocation until none fails: always NO_MEMORY, and nothing left behind. */
static void test_memory(void) {
    bml_nn *net = make(1);
    size_t size = 0;
    size_t m = 0;
    bml_nn_real x[3] = {1, 2, 3};
    bml_nn_real y[2];
    int status = BML_NN_NO_MEMORY;
    int bad = 0;
    bml_nn_set_text(net, "note", "text");
    bml_nn_set_array(net, "grid", x, 3);
    unsigned char *bytes = encode(net, &size, BML_NN_F32);
    long before = live_blocks;
    bml_nn *again;
    long k;
    for (k = 0; status == BML_NN_NO_MEMORY && k < 10000; k++) {
        again = NULL;
        allocations_left = k;
        status = bml_nn_decode(&again, bytes, size, NULL);
        allocations_left = -1;
        bad += status && status != BML_NN_NO_MEMORY;
        bml_nn_free(again);
        bad += live_blocks != before;
    }
    CHECK(!status && !bad && k > 5, "reading a net with too little memory at each of %ld places: %d wrong: %s", k - 1,
          bad, bml_nn_strerror(status));
    status = BML_NN_NO_MEMORY;
    bad = 0;
    unsigned char *out;
    for (k = 0; status == BML_NN_NO_MEMORY && k < 10000; k++) {
        out = NULL;
        allocations_left = k;
        status = bml_nn_encode(net, &out, &m, BML_NN_F32);
        allocations_left = -1;
        bad += (status && status != BML_NN_NO_MEMORY) || (status && out);
        if (!status) bml_nn_free_bytes(out);
        bad += live_blocks != before;
    }
    CHECK(!status && !bad && k > 3, "writing it: %d wrong: %s", bad, bml_nn_strerror(status));
    bml_nn_free_bytes(bytes);
    bml_nn_free(net);

    net = make(0);
    CHECK(!bml_nn_save(net, path, BML_NN_F32), "saved");
    before = live_blocks;
    status = BML_NN_NO_MEMORY;
    bad = 0;
    for (k = 0; status == BML_NN_NO_MEMORY && k < 10000; k++) {
        allocations_left = k;
        status = bml_nn_load_weights(net, path, BML_NN_KERAS);
        allocations_left = -1;
        bad += (status && status != BML_NN_NO_MEMORY) || live_blocks != before;
    }
    CHECK(!status && !bad && k > 3, "weights alone: %d wrong: %s %s", bad, bml_nn_strerror(status),
          bml_nn_message(net));
    status = BML_NN_NO_MEMORY;
    bad = 0;
    for (k = 0; status == BML_NN_NO_MEMORY && k < 10000; k++) {
        allocations_left = k;
        status = bml_nn_predict(net, NULL, y, x, 1);
        allocations_left = -1;
        bad += (status && status != BML_NN_NO_MEMORY) || live_blocks != before;
    }
    CHECK(!status && !bad && k > 1, "a prediction: %d wrong: %s", bad, bml_nn_strerror(status));
    bml_nn_free(net);
    remove(path);
    CHECK(live_blocks == 0, "%ld blocks of memory are left at the end", live_blocks);
}

int main(int argc, char **argv) {
    unsigned long seed = check_seed(argc, argv);
    test_round_trip();
    test_texts();
    test_numbers();
    test_paths();
    test_truncated();
    test_edited();
    test_flipped(seed);
    test_foreign();
    test_variant();
    test_senseless();
    test_checkpoint();
    test_expensive();
    test_memory();
    return check_done();
}
