/* nn.c: a net is trained, saved and loaded, on any machine. `nn FILE` trains and writes FILE; `nn FILE read` reads what
   perhaps another machine wrote. Both print what the net of the file answers; see ssc.c for the digits. */
#include <stdio.h>
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"

enum { ROWS = 64 };

static int train(const char *path, char *why) {
    float x[ROWS];
    float y[ROWS];
    for (int i = 0; i < ROWS; i++) {
        x[i] = -1.0f + 2.0f * (float)i / (float)ROWS;
        y[i] = x[i] * x[i] * x[i] - 0.5f * x[i];
    }
    bml_nn_layer layers[3] = {{0}, {0}, {0}};
    layers[0].kind = BML_NN_INPUT;
    layers[0].features = 1;
    layers[1].kind = BML_NN_DENSE;
    layers[1].units = 12;
    layers[1].activation = BML_NN_TANH;
    layers[2].kind = BML_NN_DENSE;
    layers[2].units = 1;
    bml_nn_config config = {0};
    config.layers = layers;
    config.n_layers = 3;
    config.seed = 3;
    bml_nn_training how = {0};
    how.x = x;
    how.y = y;
    how.n = ROWS;
    how.epochs = 30;
    how.learning_rate = 5e-3;
    bml_nn *net;
    int status = bml_nn_create(&net, &config, why);
    if (status) return status;
    status = bml_nn_train(net, &how, NULL);
    if (!status) status = bml_nn_save(net, path, BML_NN_F32);
    if (status) printf("%s\n", bml_nn_message(net));
    bml_nn_free(net);
    return status;
}

int main(int argc, char **argv) {
    char why[BML_NN_MESSAGE] = "";
    if (argc < 2) return 1;
    int status = argc > 2 ? 0 : train(argv[1], why);
    bml_nn *net = NULL;
    if (!status) status = bml_nn_load(&net, argv[1], why);
    float at[5] = {-0.9f, -0.4f, 0.0f, 0.3f, 0.8f};
    float out[5];
    if (!status) status = bml_nn_predict(net, NULL, out, at, 5);
    for (int i = 0; i < 5 && !status; i++)
        printf("x %.1f net %.4f\n", (double)at[i], (double)out[i]);
    if (status) printf("%s: %s\n", bml_nn_strerror(status), why);
    bml_nn_free(net);
    return status != 0;
}
