/* hello_dropout.c: a regression with its error bar, by Monte Carlo dropout, drawn: hello_dropout.png, or without gnuplot
   its script hello_dropout.gp. Outside the data the band widens, and not enough: its width is set by the dropout rate.
   In a folder with this file and bml_nn.h:
       cc -std=c99 -O3 hello_dropout.c -o hello_dropout -lm && ./hello_dropout */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"

enum { N = 60, M = 121, DRAWS = 400 };
static float x[N]; /* the data */
static float y[N];
static float at[M]; /* where the net is asked, its answers, and their spread */
static float draws[DRAWS * M];
static float mean[M];
static float sd[M];

static int draw(const char *path) {
    FILE *f = fopen(path, "w");
    if (!f) return 1;
    fprintf(f, "set terminal pngcairo size 900,600 font 'Sans,18'\nset output 'hello_dropout.png'\nset xlabel 'x'\n"
               "set ylabel 'y'\n$net << END\n");
    for (int i = 0; i < M; i++)
        fprintf(f, "%g %g %g\n", (double)at[i], (double)mean[i], (double)sd[i]);
    fprintf(f, "END\n$data << END\n");
    for (int i = 0; i < N; i++)
        fprintf(f, "%g %g\n", (double)x[i], (double)y[i]);
    fprintf(f, "END\nplot $net using 1:($2-2*$3):($2+2*$3) with filledcurves lc rgb '#a6cee3' title 'mean, two sd', "
               "$net using 1:2 with lines lw 3 lc rgb '#0072b2' notitle, $data with points pt 7 lc rgb 'black' title "
               "'data', sin(x) with lines lw 3 dt 2 lc rgb '#d55e00'\n");
    return fclose(f);
}

int main(void) {
    bml_nn_layer input = {.kind = BML_NN_INPUT, .features = 1};
    bml_nn_layer hidden = {.kind = BML_NN_DENSE, .units = 64, .activation = BML_NN_SILU};
    bml_nn_layer dropout = {.kind = BML_NN_DROPOUT, .rate = 0.05};
    bml_nn_layer output = {.kind = BML_NN_DENSE, .units = 1};
    bml_nn_layer layers[] = {input, hidden, dropout, hidden, dropout, output};
    bml_nn_config config = {.layers = layers, .n_layers = 6, .seed = 1};
    bml_nn_training how = {
        .x = x,
        .y = y,
        .n = N,
        .epochs = 1500,
        .learning_rate = 5e-3,
        .schedule = BML_NN_COSINE,
    };
    bml_nn_spread spread = {.mean = mean, .sd = sd};
    bml_nn_rng rng;
    bml_nn *net;
    char why[BML_NN_MESSAGE];
    bml_nn_rng_init(&rng, 1, 0);
    for (int i = 0; i < N; i++) {
        x[i] = (float)(6 * bml_nn_rng_uniform(&rng) - 3);
        y[i] = sinf(x[i]) + (float)(0.1 * bml_nn_rng_normal(&rng));
    }
    for (int i = 0; i < M; i++)
        at[i] = -6 + 0.1f * (float)i;
    int status = bml_nn_create(&net, &config, why);
    if (!status) status = bml_nn_train(net, &how, NULL);
    if (!status) status = bml_nn_draws(net, NULL, draws, at, M, DRAWS, 1);
    if (!status) status = bml_nn_summarize_draws(&spread, draws, DRAWS, M);
    if (status) fprintf(stderr, "hello_dropout: %s\n", bml_nn_strerror(status));
    if (status) fprintf(stderr, "%s\n", net ? bml_nn_message(net) : why);
    bml_nn_free(net);
    if (status) return 1;
    printf("x = 0: %.2f +- %.2f", (double)mean[60], (double)sd[60]);
    printf("   x = 5, where there are no data: %.2f +- %.2f\n", (double)mean[110], (double)sd[110]);
    if (draw("hello_dropout.gp")) {
        perror("hello_dropout.gp");
        return 1;
    }
    if (system("gnuplot hello_dropout.gp"))
        printf("no gnuplot (Debian: gnuplot-nox): the picture is left as hello_dropout.gp\n");
    return 0;
}
