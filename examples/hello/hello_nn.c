/* hello_nn.c: a network learns a sine to 1e-4, is saved, loaded, asked, and drawn with its error: hello_nn.png.
   In a folder with this file and bml_nn.h:
       cc -std=c99 -O3 hello_nn.c -o hello_nn -lm && ./hello_nn */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"

static int draw(const float *x, const float *out) {
    FILE *f = fopen("hello_nn.gp", "w");
    if (!f) return -1;
    fprintf(f,
            "set terminal pngcairo size 900,600 font 'Sans,18'\nset output 'hello_nn.png'\nset multiplot layout 2,1\n"
            "set key left\nset lmargin 10\nset xlabel 'x'\n$net << END\n");
    for (int i = 0; i < 256; i++)
        fprintf(f, "%g %g %g\n", (double)x[i], (double)out[i], (double)out[i] - sin((double)x[i]));
    fprintf(f, "END\nset ytics 1\nset ylabel 'y'\nplot [][-1.2:1.8] sin(x) lw 3 lc rgb '#0072b2', "
               "$net with lines lw 3 dt 2 lc rgb '#d55e00' title 'net'\n"
               "set ytics 3e-4\nset format y '%%.0e'\nset ylabel 'net - sin x'\n"
               "plot $net using 1:3 with lines lw 3 lc rgb '#d55e00' notitle\n");
    return fclose(f) || system("gnuplot hello_nn.gp");
}

int main(void) {
    float x[256];
    float y[256];
    float out[256];
    for (int i = 0; i < 256; i++) {
        x[i] = -3.0f + 6.0f * (float)i / 255.0f;
        y[i] = sinf(x[i]);
    }
    bml_nn_layer input = {.kind = BML_NN_INPUT, .features = 1};
    bml_nn_layer hidden = {.kind = BML_NN_DENSE, .units = 32, .activation = BML_NN_SILU};
    bml_nn_layer output = {.kind = BML_NN_DENSE, .units = 1};
    bml_nn_layer layers[] = {input, hidden, hidden, hidden, output};
    bml_nn_config config = {.layers = layers, .n_layers = 5};
    bml_nn_training how = {
        .x = x,
        .y = y,
        .n = 256,
        .epochs = 6000,
        .learning_rate = 3e-3,
        .schedule = BML_NN_COSINE,
    };
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
    char text[1000];
    bml_nn_summary(text, sizeof text, net);
    printf("%s", text);
    double square = 0;
    for (int i = 0; i < 256 && !status; i++) {
        double net_says = (double)out[i];
        double truth = sin((double)x[i]);
        square += pow(net_says - truth, 2);
        if (i % 51 == 0) printf("x = %4.1f   net %8.5f   sin x %8.5f\n", (double)x[i], net_says, truth);
    }
    printf("root of the mean square error: %.1e\n", sqrt(square / 256));
    if (!status && draw(x, out)) printf("no gnuplot (Debian: gnuplot-nox): the picture is left as hello_nn.gp\n");
    bml_nn_free(net);
    bml_nn_free(again);
    return status != 0;
}
