/* Lesson 8: Hamiltonian trajectories on a banana: leapfrog steps until they turn back, and what NUTS draws with them.
   cc -std=c99 -O2 -I. examples/lessons/08_trajectories.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

/* ln p of a bent ridge, and its gradient. */
static void banana(double *log_prob, double *gradient, const double *theta, int n, int n_dim, void *user) {
    (void)user;
    for (int i = 0; i < n; i++) {
        double x = theta[i * n_dim];
        double y = theta[i * n_dim + 1];
        double off = (y - x * x) / 0.25;
        log_prob[i] = -0.5 * (x * x + 0.25 * off * off);
        gradient[i * n_dim] = -x + off * 2 * x;
        gradient[i * n_dim + 1] = -off;
    }
}

/* A ball that rolls without friction: half a kick, a drift, half a kick; until it comes back. Draws its way. */
static void roll(double *theta, double *momentum, double step) {
    const double start[2] = {theta[0], theta[1]};
    double log_prob;
    double gradient[2];
    double outwards = 1;
    banana(&log_prob, gradient, theta, 1, 2, NULL);
    for (int n = 0; n < 200 && outwards > 0; n++) {
        point(theta[0], theta[1]);
        for (int k = 0; k < 2; k++) {
            momentum[k] += 0.5 * step * gradient[k];
            theta[k] += step * momentum[k];
        }
        banana(&log_prob, gradient, theta, 1, 2, NULL);
        outwards = 0; /* the U-turn: below 0 when the ball comes nearer to where it began */
        for (int k = 0; k < 2; k++) {
            momentum[k] += 0.5 * step * gradient[k];
            outwards += momentum[k] * (theta[k] - start[k]);
        }
    }
}

static void outline(void) {
    panel("x", "y");
    set("xrange [-3:3]");
    set("yrange [-2:10]");
    curve(LINE, "2 {/Symbol s} of the target");
    for (double a = 0; a < 6.3; a += 0.02)
        point(2 * cos(a), 4 * cos(a) * cos(a) + sin(a));
}

int main(void) {
    picture("08_trajectories", 1, 2);
    outline();
    double momentum[3][2] = {
        {1.3, -1.5},
        {-0.4, 1.6},
        {0.4, -2.4},
    };
    const char *kick[3] = {"leapfrog, kicked to the right", "upwards", "downwards"};
    for (int k = 0; k < 3; k++) {
        double theta[2] = {-1.6, 2.4};
        curve(PATH, kick[k]);
        roll(theta, momentum[k], 0.12);
    }
    curve(POINTS, "where all begin");
    point(-1.6, 2.4);

    double worst;
    const double probe[2] = {0.7, 0.2};
    must(bml_mcmc_check_gradient(&worst, banana, probe, NULL, 2, NULL)); /* is it the derivative of ln p? */
    bml_mcmc_prior_param start[2] = {
        {.lower = -3, .upper = 3},
        {.lower = -2, .upper = 8},
    };
    bml_mcmc_prior *prior;
    bml_mcmc_nuts *nuts;
    bml_mcmc_verdict verdict;
    must(bml_mcmc_prior_create(&prior, start, 2, WHY));
    bml_mcmc_nuts_config config = {.n_dim = 2, .log_prob = banana};
    config.prior = prior;
    config.target_accept = 0.95; /* small steps for a thin ridge */
    must(bml_mcmc_nuts_create(&nuts, &config, WHY));
    must(bml_mcmc_nuts_start_prior(nuts));
    must(bml_mcmc_nuts_run(nuts, 3000));
    must(bml_mcmc_nuts_verdict(&verdict, nuts));
    bml_mcmc_chain chain = bml_mcmc_nuts_chain(nuts);
    outline();
    curve(DOTS, "draws of NUTS");
    for (int i = 0; i < 4000; i++)
        point(chain.theta[2 * i], chain.theta[2 * i + 1]);
    show();
    bml_mcmc_nuts_free(nuts);
    bml_mcmc_prior_free(prior);
    return 0;
}
