/* hello_import.c: a network trained in PyTorch answers in C. The file is what examples/python/export_torch.py writes when it
   is run, and prints the same two numbers. In a folder with this file and bml_nn.h:
       cc -std=c99 -O3 hello_import.c -o hello_import -lm
       ./hello_import export_torch.safetensors
   A second argument, "encoder.", takes the tensors of a larger model whose names begin so. */
#include <stdio.h>
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"

int main(int argc, char **argv) {
    bml_nn_layer input = {.kind = BML_NN_INPUT, .features = 3};
    bml_nn_layer hidden = {
        .kind = BML_NN_DENSE,
        .units = 4,
        .name = "hidden",
    };
    bml_nn_layer norm = {.kind = BML_NN_BATCH_NORM, .name = "norm"};
    bml_nn_layer output = {
        .kind = BML_NN_DENSE,
        .units = 2,
        .name = "out",
        .no_bias = 1,
    };
    bml_nn_layer layers[] = {input, hidden, norm, output};
    bml_nn_config config = {.layers = layers, .n_layers = 4};
    bml_nn_import how = {.convention = BML_NN_PYTORCH};
    const float x[3] = {0.5f, -1.0f, 2.0f};
    float y[2];
    char why[BML_NN_MESSAGE];
    bml_nn *net;
    if (argc < 2) return fprintf(stderr, "usage: hello_import FILE.safetensors [PREFIX]\n"), 1;
    if (argc > 2) how.prefix = argv[2];
    int status = bml_nn_create(&net, &config, why);
    if (!status && argc == 2) status = bml_nn_load_weights(net, argv[1], BML_NN_PYTORCH);
    if (!status && argc > 2) status = bml_nn_import_weights(net, argv[1], &how);
    if (!status) status = bml_nn_predict(net, NULL, y, x, 1);
    if (!status) printf("[[%.6f, %.6f]]\n", (double)y[0], (double)y[1]);
    if (status) fprintf(stderr, "hello_import: %s\n", bml_nn_strerror(status));
    if (status) fprintf(stderr, "%s\n", net ? bml_nn_message(net) : why);
    bml_nn_free(net);
    return status != 0;
}
