/* Lesson 7: nested sampling drawn. Live points climb; the prior volume they still fill turns into ln X.
   cc -std=c99 -O2 -I. examples/lessons/07_nested.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

enum { LIVE = 200 };

/* Two peaks, the right one narrower and e^2 higher. */
static void log_likelihood(double *log_l, const double *theta, int n, int n_dim, void *user) {
    (void)user;
    for (int i = 0; i < n; i++) {
        double x = theta[i * n_dim];
        double y = theta[i * n_dim + 1];
        double left = hypot(x + 2, y) / 0.7;
        double right = hypot(x - 2, y - 1) / 0.3;
        log_l[i] = log(exp(-0.5 * left * left) + exp(2 - 0.5 * right * right) + 1e-300);
    }
}

int main(void) {
    bml_mcmc_prior_param side = {.lower = -5, .upper = 5};
    bml_mcmc_prior_param square[2] = {side, side};
    bml_mcmc_prior *prior;
    must(bml_mcmc_prior_create(&prior, square, 2, WHY));
    bml_mcmc_nested_config config = {
        .n_dim = 2,
        .live_points = LIVE,
    };
    config.log_likelihood = log_likelihood;
    config.prior = prior;
    config.replace = 1; /* one death at a time, as Skilling (2006) wrote it down */
    bml_mcmc_nested *nested;
    bml_mcmc_nested_result r;
    must(bml_mcmc_nested_create(&nested, &config, WHY));

    picture("07_nested", 1, 2);
    panel("x", "y");
    set("xrange [-5:5]");
    set("yrange [-5:5]");
    set("key below");
    const uint64_t budget[3] = {1, 300, 500};
    for (int stage = 0; stage < 3; stage++) { /* stop a few times on the way up, and look */
        bml_mcmc_nested_run(nested, budget[stage]);
        must(bml_mcmc_nested_get_result(nested, &r));
        size_t dead = r.n_points - LIVE; /* points are in order of likelihood: the live ones are last */
        char name[40];
        snprintf(name, sizeof name, "live at ln X = %.1f", 0 - (double)dead / LIVE);
        curve(POINTS, name);
        for (size_t i = dead; i < r.n_points; i++)
            point(r.theta[2 * i], r.theta[2 * i + 1]);
    }
    must(bml_mcmc_nested_run(nested, 0)); /* to the end */
    must(bml_mcmc_nested_get_result(nested, &r));

    int dead = (int)r.n_points - LIVE;
    double highest = 0;
    for (int i = 0; i < dead; i++)
        highest = fmax(highest, r.weight[i]);
    const double exact = log(2 * 3.14159265 * (0.7 * 0.7 + exp(2) * 0.3 * 0.3) / 100); /* area of the prior: 100 */
    panel("ln X, prior volume left", "ln L");
    set("title 'ln Z = %.2f {/Symbol \\261} %.2f; exact: %.2f'", r.log_z, r.log_z_error, exact);
    set("yrange [-8:5]");
    set("xrange [:0]");
    curve(LINE, "ln L");
    for (int i = 0; i < dead; i++) /* each death shrinks X by exp(-1/LIVE) */
        point(-(double)i / LIVE, r.log_likelihood[i]);
    curve(LINE, "weight L dX, any unit");
    for (int i = 0; i < dead; i += 5)
        point(-(double)i / LIVE, 6 * r.weight[i] / highest - 8);
    show();
    bml_mcmc_nested_free(nested);
    bml_mcmc_prior_free(prior);
    return 0;
}
