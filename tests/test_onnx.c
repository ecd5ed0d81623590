/* test_onnx.c: ONNX files of torch against what onnxruntime says of them (onnx_fixtures.h, made by onnx_fixtures.py);
   what the reader refuses; damaged files and failing allocations. */
#include <stdlib.h>
static long allocations;
static long failing = -1; /* the allocation that fails; -1: none */
static void *test_malloc(size_t n) {
    return allocations++ == failing ? NULL : malloc(n);
}
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#define BML_ONNX_MALLOC(n) test_malloc(n)
#define BML_ONNX_FREE(p) free(p)
#define BML_ONNX_IMPLEMENTATION
#include "bml_onnx.h"

#include "check.h"
#include "onnx_fixtures.h"
#include <string.h>

enum { N_FIXTURES = sizeof onnx_fixtures / sizeof *onnx_fixtures, ROOM = 1 << 20 };

static unsigned char bytes[ROOM];

static size_t slurp(const char *name) {
    char path[200];
    snprintf(path, sizeof path, "tests/onnx/%s.onnx", name);
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    const size_t n = fread(bytes, 1, ROOM, f);
    fclose(f);
    return n;
}

/* >> the numbers
   Both sides compute in float, whose unit of the last place is 1.2e-7 of a number near one, with sums of at most 24
   terms in another order and functions that are good to 3 units; a dozen layers or steps one after another, which
   shrink errors rather than let them grow. 1e-6 is 8 units. */
static void test_numbers(void) {
    const double allowed = 1e-6;
    for (int k = 0; k < N_FIXTURES; k++) {
        const struct onnx_fixture *f = &onnx_fixtures[k];
        char path[200];
        char why[BML_ONNX_MESSAGE];
        bml_nn *net;
        snprintf(path, sizeof path, "tests/onnx/%s.onnx", f->name);
        const int status = bml_onnx_load(&net, path, why);
        CHECK(status == BML_ONNX_OK && why[0] == 0, "%s is read: %s", f->name, why);
        if (status) continue;
        float x[256];
        float y[256];
        double worst = 0;
        CHECK(bml_nn_n_in(net) == (size_t)f->n_in && bml_nn_n_out(net) == (size_t)f->n_out, "%s: %d numbers in, %d out",
              f->name, f->n_in, f->n_out);
        if (bml_nn_n_in(net) == (size_t)f->n_in && bml_nn_n_out(net) == (size_t)f->n_out) {
            for (int i = 0; i < f->n * f->n_in; i++)
                x[i] = (float)f->x[i];
            bml_nn_predict(net, NULL, y, x, (size_t)f->n);
            for (int i = 0; i < f->n * f->n_out; i++)
                worst = fmax(worst, fabs((double)y[i] - f->y[i]) / fmax(1, fabs(f->y[i])));
            CHECK_LE(worst, allowed, f->name);
        }
        bml_nn_free(net);
    }
}

/* >> what is refused */
static void test_refusals(void) {
    char why[BML_ONNX_MESSAGE];
    bml_nn *net;
    CHECK(bml_onnx_load(&net, "tests/onnx/unknown_sine.onnx", why) == BML_ONNX_UNKNOWN && !net && strstr(why, "Sin"),
          "an unknown operator is named: %s", why);
    CHECK(bml_onnx_load(&net, "nowhere.onnx", why) == BML_ONNX_CANNOT_OPEN && !net && strstr(why, "nowhere.onnx"),
          "no file: %s", why);
    CHECK(bml_onnx_load(NULL, "x", why) == BML_ONNX_BAD_ARGUMENT, "no place for the net: %s", why);
    CHECK(bml_onnx_load(&net, "README.md", why) == BML_ONNX_BAD_FILE && !net, "a text: %s", why);
    CHECK(bml_onnx_parse(&net, "", 0, NULL) == BML_ONNX_BAD_FILE && !net, "nothing, and no reason wanted");
}

/* >> damage: every shorter file, and every byte changed in three ways: a refusal, or a net that can be used */
static void test_damage(const char *name, int every) {
    static unsigned char copy[ROOM];
    const size_t n = slurp(name);
    long refused = 0;
    long read = 0;
    bml_nn *net;
    for (size_t cut = 0; cut < n; cut += (size_t)every) {
        bml_onnx_parse(&net, bytes, cut, NULL);
        refused += net == NULL;
        read += net != NULL;
        bml_nn_free(net);
    }
    memcpy(copy, bytes, n);
    for (size_t i = 0; i < n; i += (size_t)every)
        for (int way = 0; way < 3; way++) {
            static const int by[3] = {1, 0x80, 0xff};
            copy[i] = (unsigned char)(copy[i] ^ by[way]);
            bml_onnx_parse(&net, copy, n, NULL);
            refused += net == NULL;
            read += net != NULL;
            bml_nn_free(net);
            copy[i] = bytes[i];
        }
    CHECK(n > 0 && refused > 0, "%s damaged: %ld refused, %ld read", name, refused, read);
}

static void test_memory(const char *name) {
    const size_t n = slurp(name);
    bml_nn *net;
    char why[BML_ONNX_MESSAGE];
    failing = -1;
    allocations = 0;
    bml_onnx_parse(&net, bytes, n, why);
    bml_nn_free(net);
    const long all = allocations;
    long wrong = 0;
    for (long k = 0; k < all; k++) {
        allocations = 0;
        failing = k;
        wrong += bml_onnx_parse(&net, bytes, n, why) != BML_ONNX_NO_MEMORY || net || !strstr(why, "memory");
    }
    failing = -1;
    CHECK(all > 10 && wrong == 0, "%s: each of %ld allocations fails: NO_MEMORY", name, all);
    CHECK(bml_onnx_parse(&net, bytes, n, why) == BML_ONNX_OK, "and afterwards it works");
    bml_nn_free(net);
}

int main(void) {
    test_numbers();
    test_refusals();
    test_damage("residual", 1);
    test_damage("gru_both_state", 3);
    test_damage("conv", 3);
    test_memory("gru_both_steps");
    test_memory("conv");
    return check_done();
}
