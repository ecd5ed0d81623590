/* Lesson 17: two error bands for the same data: Monte Carlo dropout, whose width is set by a rate, and a posterior.
   cc -std=c99 -O2 -I. examples/lessons/17_bands.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

enum { DATA = 24, GRID = 121, DRAWS = 400 };
static const double noise = 0.2;
static float x[DATA];
static float y[DATA];
static float at[GRID];
static float draw[DRAWS][GRID]; /* curves at the points of the grid: of the net, then of the posterior */

static double wave(const double *theta, float where) {
    return theta[0] * sin(theta[1] * (double)where + theta[2]);
}

/* The right model with the right noise; flat priors. */
static void log_prob(double *lp, const double *theta, int n, int n_dim, void *user) {
    (void)user;
    for (int i = 0; i < n; i++, theta += n_dim) {
        int inside = theta[0] > 0 && theta[1] > 0 && theta[1] < 3;
        lp[i] = inside && fabs(theta[2]) < 1.5 ? 0 : -INFINITY;
        for (int k = 0; k < DATA; k++) {
            double off = ((double)y[k] - wave(theta, x[k])) / noise;
            lp[i] -= 0.5 * off * off;
        }
    }
}

static void draw_band(const char *title) {
    float mean[GRID];
    float sd[GRID];
    bml_nn_spread spread = {.mean = mean, .sd = sd};
    must(bml_nn_summarize_draws(&spread, draw[0], DRAWS, GRID));
    panel("x", "y");
    set("title '%s'", title);
    set("yrange [-3:4]");
    curve(BAND, "mean {/Symbol \\261} 2 sd");
    for (int i = 0; i < GRID; i++)
        point3(at[i], mean[i] - 2 * sd[i], mean[i] + 2 * sd[i]);
    curve(LINE, "truth, sin 1.2x");
    for (int i = 0; i < GRID; i++)
        point(at[i], sin(1.2 * (double)at[i]));
    curve(ERRORS, "data");
    for (int k = 0; k < DATA; k++)
        point3(x[k], y[k], noise);
}

static void dropout(void) {
    bml_nn_layer input = {.kind = BML_NN_INPUT, .features = 1};
    bml_nn_layer dense = {.kind = BML_NN_DENSE, .units = 64, .activation = BML_NN_SILU};
    bml_nn_layer drop = {.kind = BML_NN_DROPOUT, .rate = 0.05};
    bml_nn_layer output = {.kind = BML_NN_DENSE, .units = 1};
    bml_nn_layer layers[] = {input, dense, drop, dense, drop, output};
    bml_nn_config config = {.layers = layers, .n_layers = 6};
    bml_nn_training training = {.x = x, .y = y, .n = DATA, .epochs = 1500};
    training.learning_rate = 3e-3;
    bml_nn *net;
    must(bml_nn_create(&net, &config, why));
    must(bml_nn_train(net, &training, NULL));
    must(bml_nn_draws(net, NULL, draw[0], at, GRID, DRAWS, 1));
    bml_nn_free(net);
}

static void posterior(void) {
    const double center[3] = {1, 1, 0};
    const double radius[3] = {0.1, 0.1, 0.1};
    bml_mcmc_config config = {.n_dim = 3, .log_prob = log_prob};
    bml_mcmc_ensemble *ensemble;
    bml_mcmc_verdict verdict;
    must(bml_mcmc_ensemble_create(&ensemble, &config, why));
    must(bml_mcmc_start_ball(ensemble, center, radius));
    must(bml_mcmc_run_until(ensemble, &verdict, NULL));
    bml_mcmc_chain chain = bml_mcmc_ensemble_chain(ensemble);
    chain = bml_mcmc_chain_drop(chain, verdict.burn);
    const int every = (int)chain.n_steps * chain.n_walkers / DRAWS;
    for (int d = 0; d < DRAWS; d++)
        for (int i = 0; i < GRID; i++)
            draw[d][i] = (float)wave(chain.theta + 3 * d * every, at[i]);
    bml_mcmc_ensemble_free(ensemble);
}

int main(void) {
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, 5, 0);
    for (int k = 0; k < DATA; k++) {
        x[k] = (float)(4 * bml_nn_rng_uniform(&rng) - 2);
        y[k] = sinf(1.2f * x[k]) + (float)(noise * bml_nn_rng_normal(&rng));
    }
    for (int i = 0; i < GRID; i++)
        at[i] = -6 + 0.1f * (float)i;
    picture("17_bands", 1, 2);
    dropout();
    draw_band("dropout");
    posterior();
    draw_band("posterior");
    show();
    return 0;
}
