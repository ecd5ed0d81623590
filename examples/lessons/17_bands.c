/* Lesson 17: two error bands for the same data: Monte Carlo dropout, whose width is set by a rate, and a posterior.
   cc -std=c99 -O2 -I. examples/lessons/17_bands.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

enum { DATA = 24, GRID = 61, DRAWS = 400 };
static const double noise = 0.2;
static float x[DATA];
static float y[DATA];
static float at[GRID];
static float mean[GRID];
static float sd[GRID];

static double wave(const double *theta, float where) {
    return theta[0] * sin(theta[1] * (double)where + theta[2]);
}

/* The right model with the right noise; its curve at the points of the grid goes along with the chain. */
static void log_prob(double *lp, double *curve_at, const double *theta, int n, int n_dim, void *user) {
    for (int i = 0; i < n; i++, theta += n_dim) {
        lp[i] = bml_mcmc_prior_log_density(user, theta);
        for (int k = 0; k < GRID; k++)
            curve_at[i * GRID + k] = wave(theta, at[k]);
        for (int k = 0; k < DATA; k++) {
            double off = ((double)y[k] - wave(theta, x[k])) / noise;
            lp[i] -= 0.5 * off * off;
        }
    }
}

static void draw_band(const char *title) {
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
    static float draw[DRAWS * GRID];
    bml_nn_spread spread = {.mean = mean, .sd = sd};
    bml_nn_layer input = {.kind = BML_NN_INPUT, .features = 1};
    bml_nn_layer dense = {.kind = BML_NN_DENSE, .units = 64, .activation = BML_NN_SILU};
    bml_nn_layer drop = {.kind = BML_NN_DROPOUT, .rate = 0.05};
    bml_nn_layer output = {.kind = BML_NN_DENSE, .units = 1};
    bml_nn_layer layers[] = {input, dense, drop, dense, drop, output};
    bml_nn_config config = {.layers = layers, .n_layers = 6};
    bml_nn_training training = {
        .x = x,
        .y = y,
        .n = DATA,
        .epochs = 1500,
        .learning_rate = 3e-3,
    };
    bml_nn *net;
    must(bml_nn_create(&net, &config, WHY));
    must(bml_nn_train(net, &training, NULL));
    must(bml_nn_draws(net, NULL, draw, at, GRID, DRAWS, 1));
    must(bml_nn_summarize_draws(&spread, draw, DRAWS, GRID));
    bml_nn_free(net);
}

static void posterior(void) {
    bml_mcmc_prior_param flat[3] = {
        {.lower = 0, .upper = 3},      /* amplitude */
        {.lower = 0, .upper = 3},      /* frequency */
        {.lower = -1.5, .upper = 1.5}, /* phase */
    };
    bml_mcmc_prior *prior;
    bml_mcmc_ensemble *ensemble;
    bml_mcmc_verdict verdict;
    bml_mcmc_goal goal = {.ess = 500};
    bml_mcmc_summary summary[GRID];
    must(bml_mcmc_prior_create(&prior, flat, 3, WHY));
    bml_mcmc_config config = {.n_dim = 3, .n_derived = GRID, .user = prior};
    config.log_prob_derived = log_prob;
    must(bml_mcmc_ensemble_create(&ensemble, &config, WHY));
    must(bml_mcmc_start_prior(ensemble, prior));
    must(bml_mcmc_run_until(ensemble, &verdict, &goal));
    bml_mcmc_chain curves = bml_mcmc_ensemble_derived(ensemble);
    int status = bml_mcmc_summarize(summary, bml_mcmc_chain_drop(curves, verdict.burn));
    /* The parameters have converged by now, but crests of their curves take longer. */
    for (int more = 0; more < 40 && status == BML_MCMC_NOT_CONVERGED; more++) {
        must(bml_mcmc_run(ensemble, 500));
        curves = bml_mcmc_ensemble_derived(ensemble);
        status = bml_mcmc_summarize(summary, bml_mcmc_chain_drop(curves, verdict.burn));
    }
    must(status);
    for (int i = 0; i < GRID; i++) {
        mean[i] = (float)summary[i].mean;
        sd[i] = (float)summary[i].sd;
    }
    bml_mcmc_ensemble_free(ensemble);
    bml_mcmc_prior_free(prior);
}

int main(void) {
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, 5, 0);
    for (int k = 0; k < DATA; k++) {
        x[k] = (float)(4 * bml_nn_rng_uniform(&rng) - 2);
        y[k] = sinf(1.2f * x[k]) + (float)(noise * bml_nn_rng_normal(&rng));
    }
    for (int i = 0; i < GRID; i++)
        at[i] = -6 + 0.2f * (float)i;
    picture("17_bands", 1, 2);
    dropout();
    draw_band("dropout");
    posterior();
    draw_band("posterior");
    show();
    return 0;
}
