/* Lesson 6: "y is at least x" can mean two priors. Which one do you want?
   cc -std=c99 -O2 -I. examples/lessons/06_priors.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

enum { DRAWS = 4000 };

/* y begins at x: think of gamma_max, which must exceed gamma_min. */
static void above_x(double *lower, double *upper, const double *theta, int i, void *user) {
    (void)upper;
    (void)user;
    if (i == 1) *lower = theta[0];
}

int main(void) {
    static double draw[2][2 * DRAWS];
    const char *name[2] = {"conditional: p(x) p(y|x)", "joint: flat over the region"};
    for (int joint = 0; joint < 2; joint++) {
        bml_mcmc_prior_param x = {
            .lower = 0,
            .upper = 4,
            .joint = joint,
        };
        bml_mcmc_prior_param y = {
            .lower = 0,
            .upper = 4,
            .bounds = above_x,
        };
        bml_mcmc_prior_param param[2] = {x, y};
        bml_mcmc_prior *prior;
        bml_mcmc_rng rng;
        bml_mcmc_rng_init(&rng, 1, 0);
        must(bml_mcmc_prior_create(&prior, param, 2, WHY));
        for (int i = 0; i < DRAWS; i++) {
            double cube[2];
            cube[0] = bml_mcmc_rng_uniform(&rng);
            cube[1] = bml_mcmc_rng_uniform(&rng);
            must(bml_mcmc_prior_transform(prior, &draw[joint][2 * i], cube));
        }
        double low_x[2] = {0.5, 2};
        double high_x[2] = {3.5, 3.75};
        printf("%-30s density at x = 0.5: %.4f, at x = 3.5: %.4f\n", name[joint],
               exp(bml_mcmc_prior_log_density(prior, low_x)), exp(bml_mcmc_prior_log_density(prior, high_x)));
        bml_mcmc_prior_free(prior);
    }

    picture("06_priors", 2, 2);
    for (int joint = 0; joint < 2; joint++) {
        panel("x = log_{10} {/Symbol g}_{min}", "y = log_{10} {/Symbol g}_{max}");
        set("title '%s'", name[joint]);
        set("ytics 1");
        if (joint) skip_style();
        curve(DOTS, "");
        for (int i = 0; i < DRAWS; i++)
            point(draw[joint][2 * i], draw[joint][2 * i + 1]);
    }
    for (int k = 0; k < 2; k++) {
        panel(k ? "y = log_{10} {/Symbol g}_{max}" : "x = log_{10} {/Symbol g}_{min}", "density of the draws");
        set("yrange [0:1.2]");
        set("key top center");
        curve(HISTOGRAM, "conditional");
        density(&draw[0][k], DRAWS, 2, 0, 4, 20);
        curve(HISTOGRAM, "joint");
        density(&draw[1][k], DRAWS, 2, 0, 4, 20);
    }
    show();
    return 0;
}
