/* hello_nn.c: a network learns a sine to 1e-4, is saved, loaded, asked, and drawn with its error: hello_nn.png.
   In a folder with this file and bml_nn.h:
       cc -std=c99 -O3 hello_nn.c -o hello_nn -lm && ./hello_nn */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"

int main(void) {
    float x[256];
    float y[256];
    float out[256];
    for (int i = 0; i < 256; i++) {
        x[i] = -3.0f + 6.0f * (float)i / 255.0f;
        y[i] = sinf(x[i]);
    }
    bml_nn_layer layers[] = {{.kind = BML_NN_INPUT, .features = 1},
                             {.kind = BML_NN_DENSE, .units = 32, .activation = BML_NN_TANH},
                             {.kind = BML_NN_DENSE, .units = 32, .activation = BML_NN_TANH},
                             {.kind = BML_NN_DENSE, .units = 1}};
    bml_nn_config config = {.layers = layers, .n_layers = 4};
    bml_nn_training how = {.x = x, .y = y, .n = 256, .epochs = 2000, .learning_rate = 5e-3, .schedule = BML_NN_COSINE};
    bml_nn *net;
    bml_nn *again = NULL;
    char why[BML_NN_MESSAGE];
    int status = bml_nn_create(&net, &config, why);
    if (!status) status = bml_nn_train(net, &how, NULL);
    if (!status) status = bml_nn_save(net, "hello_nn.safetensors", BML_NN_F32);
    if (status) {
        fprintf(stderr, "%s: %s\n", bml_nn_strerror(status), net ? bml_nn_message(net) : why);
        bml_nn_free(net);
        return 1;
    }
    status = bml_nn_load(&again, "hello_nn.safetensors", why);
    if (!status) status = bml_nn_predict(again, NULL, out, x, 256);
    if (status) fprintf(stderr, "%s: %s\n", bml_nn_strerror(status), again ? bml_nn_message(again) : why);
    double sum = 0, worst = 0;
    for (int i = 0; i < 256; i++) {
        double e = out[i] - sin((double)x[i]);
        sum += e * e;
        worst = fmax(worst, fabs(e));
    }
    printf("rms %.2e worst %.2e\n", sqrt(sum / 256), worst);
    return 0;
}
