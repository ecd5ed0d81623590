/* Lesson 3: a network takes the place of the SSC solver for two parameters, and a map shows where it may be trusted.
   cc -std=c99 -O2 -I. examples/lessons/03_surrogate.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"

enum { ROWS = 1500, SIDE = 25, ENERGIES = 12 };
static bml_ssc_blob *blob;

/* y[ENERGIES] = log10 of the spectrum at photon energies 10^-8 ... 10^3 m_e c^2, of the source x = log10 B, p. */
static void solve(float *y, const float *x) {
    bml_ssc_source source = {
        .R = 1e16,
        .B = pow(10, (double)x[0]),
        .gamma_min = 100,
        .gamma_max = 1e6,
        .L_e = 1e42,
        .p = (double)x[1],
    };
    must(bml_ssc_solve(blob, &source));
    for (int k = 0; k < ENERGIES; k++) {
        double log_x = k - 8;
        double value;
        must(bml_ssc_spectrum(&value, &log_x, 1, blob, BML_SSC_TOTAL));
        y[k] = (float)value;
    }
}

int main(void) {
    static float x[ROWS][2];
    static float y[ROWS][ENERGIES];
    bml_ssc *tables;
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, 1, 0);
    must(bml_ssc_create(&tables, NULL, WHY));
    must(bml_ssc_blob_create(&blob, tables, WHY));
    for (int i = 0; i < ROWS; i++) { /* B from 0.01 to 1 G, p from 1.5 to 3 */
        x[i][0] = (float)(2 * bml_nn_rng_uniform(&rng) - 2);
        x[i][1] = (float)(1.5 * bml_nn_rng_uniform(&rng) + 1.5);
        solve(y[i], x[i]);
    }

    bml_nn_layer input = {.kind = BML_NN_INPUT, .features = 2};
    bml_nn_layer hidden = {.kind = BML_NN_DENSE, .units = 48, .activation = BML_NN_SILU};
    bml_nn_layer output = {.kind = BML_NN_DENSE, .units = ENERGIES};
    bml_nn_layer layers[] = {input, hidden, hidden, output};
    bml_nn_config config = {.layers = layers, .n_layers = 4};
    bml_nn_training training = {
        .x = x[0],
        .y = y[0],
        .n = ROWS,
        .epochs = 400,
        .learning_rate = 5e-3,
        .schedule = BML_NN_COSINE,
    };
    bml_nn *net;
    must(bml_nn_create(&net, &config, WHY));
    must(bml_nn_fit_scaler(net, BML_NN_INPUTS, BML_NN_STANDARD, x[0], ROWS));
    must(bml_nn_fit_scaler(net, BML_NN_OUTPUTS, BML_NN_STANDARD, y[0], ROWS));
    must(bml_nn_train(net, &training, NULL));

    picture("03_surrogate", 1, 1);
    panel("log_{10} B [G]", "electron index p");
    set("cblabel 'log_{10} of the largest error [dex]' offset 1.5");
    set("rmargin 12");
    set("object rectangle from -2,1.5 to 0,3 front fs empty border lc rgb 'white' lw 4");
    set("label 'trained in here' at -1.9,2.9 front tc rgb 'white'");
    set("xrange [-2.56:0.56]");
    set("yrange [1.16:3.34]");
    curve(MAP, "");
    for (int i = 0; i < SIDE * SIDE; i++) { /* wider than the training: what does the net know of what it never saw? */
        float column = (float)(i / SIDE);
        float row = (float)(i % SIDE);
        float at[2] = {-2.5f + 0.125f * column, 1.2f + 0.0875f * row};
        float truth[ENERGIES];
        float guess[ENERGIES];
        double worst = 0;
        solve(truth, at);
        must(bml_nn_predict(net, NULL, guess, at, 1));
        for (int k = 0; k < ENERGIES; k++)
            worst = fmax(worst, fabs((double)(truth[k] - guess[k])));
        point3(at[0], at[1], log10(worst));
        if (i % SIDE == SIDE - 1) gap();
    }
    show();
    bml_nn_free(net);
    bml_ssc_blob_free(blob);
    bml_ssc_free(tables);
    return 0;
}
