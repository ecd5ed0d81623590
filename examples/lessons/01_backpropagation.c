/* Lesson 1: the gradient of a net of three neurons, by the chain rule on paper, held against finite differences.
   cc -std=c99 -O2 -I. examples/lessons/01_backpropagation.c -o lesson -lm && ./lesson */
#include "lesson.h"

enum { N_WEIGHTS = 7 };
static double w[N_WEIGHTS] = {0.7, -0.2, -1.1, 0.4, 0.9, 0.5, 0.1};
static const double x = 0.8;
static const double target = 1.5;

/* Two tanh neurons side by side, and a linear one that adds them up. */
static double forward(double *neuron) {
    neuron[0] = tanh(w[0] * x + w[1]);
    neuron[1] = tanh(w[2] * x + w[3]);
    return w[4] * neuron[0] + w[5] * neuron[1] + w[6];
}

static double loss(void) {
    double neuron[2];
    double error = forward(neuron) - target;
    return 0.5 * error * error;
}

/* d loss/d w, from the output back to the input; tanh' = 1 - tanh^2. */
static void backward(double *gradient) {
    double neuron[2];
    double error = forward(neuron) - target; /* d loss/d output */
    for (int k = 0; k < 2; k++) {
        double slope = 1 - neuron[k] * neuron[k];
        double back = error * w[4 + k] * slope; /* d loss/d argument of tanh */
        gradient[2 * k] = back * x;
        gradient[2 * k + 1] = back;
        gradient[4 + k] = error * neuron[k];
    }
    gradient[6] = error;
}

/* d loss/d w[k] by a difference quotient: turn the weight a little, and look at the loss. */
static double difference(int k, double h, int central) {
    const double kept = w[k];
    w[k] = kept + h;
    double up = loss();
    w[k] = central ? kept - h : kept;
    double down = loss();
    w[k] = kept;
    return (up - down) / (central ? 2 * h : h);
}

int main(void) {
    double gradient[N_WEIGHTS];
    backward(gradient);
    picture("01_backpropagation", 1, 1);
    panel("step h of the difference", "error / |gradient|");
    set("logscale xy");
    set("format '10^{%%L}'");
    set("key top center");
    for (int central = 0; central < 2; central++) {
        curve(LINE, central ? "[L(w+h) - L(w-h)] / 2h" : "[L(w+h) - L(w)] / h");
        for (double h = 1e-14; h < 1; h *= 1.2) {
            double error = 0;
            double length = 0;
            for (int k = 0; k < N_WEIGHTS; k++) {
                error = hypot(error, difference(k, h, central) - gradient[k]);
                length = hypot(length, gradient[k]);
            }
            point(h, error / length);
        }
    }
    show();
    return 0;
}
