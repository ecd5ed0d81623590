/* fuzz_model.c: the readers of networks, of other programs' weights and of training checkpoints against any bytes. What
   a reader accepts must be sound, what it refuses must leave a message and the network as it was. Three of four changes
   keep the length of the header right, since a random change of it stops every reader there. */
#include <stdint.h>
#include <stdlib.h>
/* A file of a few bytes may describe a network of terabytes: refuse what no such file can hold. */
static void *small_malloc(size_t n) {
    return n > (size_t)1 << 20 ? NULL : malloc(n);
}
#define BML_NN_MALLOC(n) small_malloc(n)
#define BML_NN_FREE(p) free(p)
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { N_SEEDS = 5, SEED_SIZE = 8192 };
static unsigned char seeds[N_SEEDS][SEED_SIZE];
static size_t seed_size[N_SEEDS];
static const float train_x[12] = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f, 0.9f, 1.0f, 1.1f, 1.2f},
                   train_y[2] = {0, 1};

static char path[64];

static void put_file(const unsigned char *data, size_t size) {
    if (!path[0])
        snprintf(path, sizeof path, "%s/fuzz_model.%ld", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm",
                 (long)getpid());
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f)) abort();
}

/* A net with every kind of layer that has tensors, or the small one that PyTorch's files are read into. */
static bml_nn *make(int large) {
    bml_nn_layer l[10];
    int n = 0;
    memset(l, 0, sizeof l);
    bml_nn_config config;
    memset(&config, 0, sizeof config);
    l[n].kind = BML_NN_INPUT;
    l[n].name = "x";
    l[n].steps = 3;
    l[n++].features = 2;
    if (large) {
        l[n].kind = BML_NN_CONV;
        l[n].units = 2;
        l[n].kernel = 2;
        l[n].same = 1;
        l[n++].activation = BML_NN_LEAKY_RELU;
        l[n].kind = BML_NN_BATCH_NORM;
        n++;
        l[n].kind = BML_NN_LSTM;
        l[n].units = 1;
        l[n].sequence = 1;
        l[n++].bidirectional = 1;
    }
    l[n].kind = BML_NN_GRU;
    l[n].name = "r";
    l[n].units = 2;
    l[n++].reset_before = large;
    if (large) {
        l[n].kind = BML_NN_DROPOUT;
        l[n].rate = 0.25;
        n++;
        l[n].kind = BML_NN_LAYER_NORM;
        l[n].name = "n";
        n++;
        l[n].kind = BML_NN_FLATTEN;
        l[n].from[0] = "x";
        l[n++].name = "flat";
        l[n].kind = BML_NN_CONCAT;
        l[n].from[0] = "n";
        l[n++].from[1] = "flat";
        l[n].kind = BML_NN_BAYES;
        l[n++].units = 1;
    } else {
        l[n].kind = BML_NN_DENSE;
        l[n].name = "y";
        l[n++].units = 1;
    }
    config.layers = l;
    config.n_layers = n;
    bml_nn *net;
    if (bml_nn_create(&net, &config, NULL)) abort();
    return net;
}

static bml_nn_trainer *start(bml_nn *net) {
    bml_nn_training how;
    memset(&how, 0, sizeof how);
    how.x = train_x;
    how.y = train_y;
    how.n = 2;
    how.epochs = 3;
    bml_nn_trainer *trainer;
    if (bml_nn_trainer_create(&trainer, net, &how, NULL)) abort();
    return trainer;
}

static void keep(int i, const unsigned char *bytes, size_t size) {
    if (size > SEED_SIZE) abort();
    memcpy(seeds[i], bytes, seed_size[i] = size);
}

/* The small net's weights as PyTorch orders them. */
static void keep_pytorch(int i) {
    static const char head[] =
        "{\"r.weight_ih_l0\":{\"dtype\":\"F32\",\"shape\":[6,2],\"data_offsets\":[0,48]},"
        "\"r.weight_hh_l0\":{\"dtype\":\"F32\",\"shape\":[6,2],\"data_offsets\":[48,96]},"
        "\"r.bias_ih_l0\":{\"dtype\":\"F16\",\"shape\":[6],\"data_offsets\":[96,108]},"
        "\"r.bias_hh_l0\":{\"dtype\":\"BF16\",\"shape\":[6],\"data_offsets\":[108,120]},"
        "\"y.weight\":{\"dtype\":\"F64\",\"shape\":[1,2],\"data_offsets\":[120,136]},"
        "\"y.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[136,140]},\"__metadata__\":{\"a\":\"b\"}}";
    unsigned char bytes[8 + sizeof head + 140] = {0};
    size_t n = sizeof head - 1;
    bytes[0] = (unsigned char)(n & 255);
    bytes[1] = (unsigned char)(n >> 8);
    memcpy(bytes + 8, head, n);
    keep(i, bytes, 8 + n + 140);
}

static void make_seeds(void) {
    static const int storage[2] = {BML_NN_F32, BML_NN_F16};
    float shift[6] = {0};
    float scale[6] = {1, 2, 3, 4, 5, 6};
    unsigned char *bytes;
    unsigned char file[SEED_SIZE];
    size_t size;
    bml_nn *net = NULL;
    for (int i = 0; i < 3; i++) {
        net = make(i == 1);
        if (bml_nn_set_scaler(net, BML_NN_INPUTS, shift, scale) ||
            bml_nn_set_text(net, "units", "cm \"G\" \x01 \xc3\xa9"))
            abort();
        if (bml_nn_set_array(net, "grid", scale, 3)) abort();
        if (bml_nn_encode(net, &bytes, &size, storage[i > 1])) abort();
        keep(i, bytes, size);
        bml_nn_free_bytes(bytes);
        if (i < 2) bml_nn_free(net);
    }
    keep_pytorch(3);
    bml_nn_trainer *trainer = start(net);
    put_file(file, 0);
    if (bml_nn_trainer_run(trainer, 1) || bml_nn_trainer_save(trainer, path)) abort();
    FILE *f = fopen(path, "rb");
    if (!f) abort();
    size = fread(file, 1, sizeof file, f);
    fclose(f);
    keep(4, file, size);
    bml_nn_trainer_free(trainer);
    bml_nn_free(net);
}

/* >> mutation */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/* A file to begin with; in a fourth of the cases any change, else one of the header or of the tensors alone. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
    static unsigned char head[SEED_SIZE];
    static unsigned char rest[SEED_SIZE];
    size_t n = 0;
    int i = (int)(seed / 64 % N_SEEDS);
    if (!seed_size[0]) make_seeds();
    if (size <= SEED_SIZE && max_size > SEED_SIZE) max_size = SEED_SIZE;
    if (size < 9 || seed % 64 == 0) {
        if (seed_size[i] > max_size) return LLVMFuzzerMutate(data, size, max_size);
        memcpy(data, seeds[i], seed_size[i]);
        return seed_size[i];
    }
    for (i = 0; i < 4; i++)
        n |= (size_t)data[i] << 8 * i;
    if (seed % 4 == 1 || max_size > SEED_SIZE || n > size - 8) return LLVMFuzzerMutate(data, size, max_size);
    size_t m = size - 8 - n;
    if (seed % 4 == 2 && m) return 8 + n + LLVMFuzzerMutate(data + 8 + n, m, m);
    memcpy(head, data + 8, n);
    memcpy(rest, data + 8 + n, m);
    n = LLVMFuzzerMutate(head, n, max_size - 8 - m);
    for (i = 0; i < 8; i++)
        data[i] = i < 4 ? (uint8_t)(n >> 8 * i & 255) : 0;
    memcpy(data + 8, head, n);
    memcpy(data + 8 + n, rest, m);
    return 8 + n + m;
}

/* >> the readers */

/* A network that was accepted: finite weights, and the same again through another file. */
static void check_net(bml_nn *net) {
    size_t n = bml_nn_n_params(net);
    bml_nn *again = NULL;
    char text[256];
    if (bml_nn_n_in(net) < 1 || bml_nn_n_out(net) < 1) abort();
    for (size_t i = 0; i < n; i++)
        if (!isfinite(bml_nn_params(net)[i])) abort();
    bml_nn_summary(text, sizeof text, net);
    size_t size;
    unsigned char *bytes;
    if (!bml_nn_encode(net, &bytes, &size, BML_NN_F32)) {
        int status = bml_nn_decode(&again, bytes, size, NULL);
        if (status && status != BML_NN_NO_MEMORY) abort();
        if (!status &&
            (bml_nn_n_params(again) != n || memcmp(bml_nn_params(again), bml_nn_params(net), n * sizeof(float))))
            abort();
        bml_nn_free(again);
        bml_nn_free_bytes(bytes);
    }
    if (bml_nn_n_in(net) > 4096 || bml_nn_n_out(net) > 4096) return;
    float *x;
    x = (float *)calloc(bml_nn_n_in(net), sizeof *x);
    float *y;
    y = (float *)calloc(bml_nn_n_out(net), sizeof *y);
    if (x && y) {
        bml_nn_work *work = NULL;
        if (!bml_nn_work_create(&work, net, 1, 1, NULL)) bml_nn_predict(net, work, y, x, 1);
        bml_nn_work_free(work);
    }
    free(x);
    free(y);
}

static void read_weights(const uint8_t *data, size_t size, int convention) {
    bml_nn *net = make(0);
    float before[64];
    size_t n = bml_nn_n_params(net);
    if (n > 64) abort();
    memcpy(before, bml_nn_params(net), n * sizeof *before);
    put_file(data, size);
    if (bml_nn_load_weights(net, path, convention) &&
        (memcmp(before, bml_nn_params(net), n * sizeof *before) || !*bml_nn_message(net)))
        abort();
    bml_nn_free(net);
}

static void read_checkpoint(const uint8_t *data, size_t size) {
    bml_nn *net = make(0);
    bml_nn_trainer *trainer = start(net);
    put_file(data, size);
    if (bml_nn_trainer_load(trainer, path)) {
        if (!*bml_nn_message(net)) abort();
    } else {
        bml_nn_trainer_run(trainer, 1);
    }
    bml_nn_trainer_free(trainer);
    bml_nn_free(net);
}

static int holds(const uint8_t *data, size_t size, const char *text) {
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= size; i++)
        if (!memcmp(data + i, text, n)) return 1;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bml_nn *net = NULL;
    char why[BML_NN_MESSAGE];
    int status = bml_nn_decode(&net, data, size, why);
    if (!net != (status != BML_NN_OK) || !*why != (status == BML_NN_OK)) abort();
    if (net && !status) check_net(net);
    bml_nn_free(net);
    if (!status) return 0;
    if (holds(data, size, "trainer."))
        read_checkpoint(data, size);
    else
        read_weights(data, size, holds(data, size, "_l0") ? BML_NN_PYTORCH : BML_NN_KERAS);
    return 0;
}
