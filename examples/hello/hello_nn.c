/* hello_nn.c: a network that learns a sine, is saved, loaded, and asked. */
#include <math.h>
#include <stdio.h>
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"

int main(void) {
    float x[256];
    float y[256];
    float at[5] = {-2, -1, 0, 1, 2};
    float out[5];
    bml_nn_layer layers[] = {{.kind = BML_NN_INPUT, .features = 1},
                             {.kind = BML_NN_DENSE, .units = 32, .activation = BML_NN_TANH},
                             {.kind = BML_NN_DENSE, .units = 32, .activation = BML_NN_TANH},
                             {.kind = BML_NN_DENSE, .units = 1}};
    bml_nn_config config = {.layers = layers, .n_layers = 4};
    bml_nn_training how = {.x = x, .y = y, .n = 256, .epochs = 1000, .learning_rate = 5e-3, .schedule = BML_NN_COSINE};
    bml_nn *net;
    bml_nn *again = NULL;
    char text[1000];
    for (int i = 0; i < 256; i++)
        y[i] = sinf(x[i] = -3.0f + 6.0f * (float)i / 255.0f);
    char why[BML_NN_MESSAGE];
    int status = bml_nn_create(&net, &config, why);
    if (!status) status = bml_nn_train(net, &how, NULL);
    if (!status) status = bml_nn_save(net, "hello_nn.safetensors", BML_NN_F32);
    if (status) {
        fprintf(stderr, "%s: %s\n", bml_nn_strerror(status), net ? bml_nn_message(net) : why);
        return 1;
    }
    status = bml_nn_load(&again, "hello_nn.safetensors", why);
    if (!status) status = bml_nn_predict(again, NULL, out, at, 5);
    if (status) fprintf(stderr, "%s: %s\n", bml_nn_strerror(status), again ? bml_nn_message(again) : why);
    bml_nn_summary(text, sizeof text, net);
    printf("%s", text);
    for (int i = 0; i < 5 && !status; i++)
        printf("x = %4.1f   net %7.4f   sin x %7.4f\n", (double)at[i], (double)out[i], sin((double)at[i]));
    bml_nn_free(net);
    bml_nn_free(again);
    return status != 0;
}
