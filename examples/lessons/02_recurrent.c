/* Lesson 2: a GRU sees a damped oscillator, learns the next value from the last 20, and then runs on by itself.
   cc -std=c99 -O2 -I. examples/lessons/02_recurrent.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"

enum { SEEN = 20, ROWS = 600, LENGTH = 200 };

static float oscillator(float t, float phase) {
    return expf(-0.02f * t) * cosf(0.5f * t + phase);
}

static float uniform(bml_nn_rng *rng, float upper) {
    return upper * (float)bml_nn_rng_uniform(rng);
}

int main(void) {
    static float x[ROWS][SEEN];
    static float y[ROWS];
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, 1, 0);
    for (int row = 0; row < ROWS; row++) { /* windows that begin anywhere, at any phase */
        float start = uniform(&rng, 150);
        float phase = uniform(&rng, 6.2832f);
        for (int k = 0; k < SEEN; k++)
            x[row][k] = oscillator(start + (float)k, phase);
        y[row] = oscillator(start + SEEN, phase);
    }

    bml_nn_layer input = {
        .kind = BML_NN_INPUT,
        .steps = SEEN,
        .features = 1,
    };
    bml_nn_layer gru = {.kind = BML_NN_GRU, .units = 16};
    bml_nn_layer output = {.kind = BML_NN_DENSE, .units = 1};
    bml_nn_layer layers[] = {input, gru, output};
    bml_nn_config config = {.layers = layers, .n_layers = 3};
    bml_nn_training training = {
        .x = x[0],
        .y = y,
        .n = ROWS,
        .epochs = 200,
        .learning_rate = 1e-2,
        .schedule = BML_NN_COSINE,
    };
    bml_nn *net;
    must(bml_nn_create(&net, &config, WHY));
    must(bml_nn_train(net, &training, NULL));

    float run[LENGTH]; /* the first values are given; each later one is what the net made of those before it */
    for (int t = 0; t < SEEN; t++)
        run[t] = oscillator((float)t, 0);
    for (int t = SEEN; t < LENGTH; t++)
        must(bml_nn_predict(net, NULL, &run[t], &run[t - SEEN], 1));

    picture("02_recurrent", 1, 1);
    panel("time [steps]", "displacement [first amplitude]");
    curve(LINE, "oscillator");
    for (int t = 0; t < LENGTH; t++)
        point(t, oscillator((float)t, 0));
    curve(POINTS, "given to the GRU");
    for (int t = 0; t < SEEN; t++)
        point(t, run[t]);
    curve(POINTS, "GRU on its own");
    for (int t = SEEN; t < LENGTH; t += 2)
        point(t, run[t]);
    show();
    bml_nn_free(net);
    return 0;
}
