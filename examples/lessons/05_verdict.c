/* Lesson 5: four chains that each look calm, a posterior that is wrong, and the verdict that says so.
   cc -std=c99 -O2 -I. examples/lessons/05_verdict.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

enum { CHAINS = 4, LENGTH = 20000 };
static double theta[LENGTH * CHAINS]; /* step by step, and in each the chains */

/* Two modes: at -6 with weight 0.3, and at +6 with weight 0.7. */
static double log_prob(double x) {
    double left = 0.3 * exp(-0.5 * (x + 6) * (x + 6));
    double right = 0.7 * exp(-0.5 * (x - 6) * (x - 6));
    return log(left + right);
}

/* The whole of Metropolis et al. (1953). */
static void metropolis(int chain, double start, bml_mcmc_rng *rng) {
    double x = start;
    for (int step = 0; step < LENGTH; step++) {
        double y = x + 1.5 * bml_mcmc_rng_normal(rng);
        double chance = exp(log_prob(y) - log_prob(x));
        if (bml_mcmc_rng_uniform(rng) < chance) x = y;
        theta[step * CHAINS + chain] = x;
    }
}

static void judge(const char *who, bml_mcmc_chain chain) {
    bml_mcmc_verdict v;
    int status = bml_mcmc_chain_verdict(&v, chain, NULL);
    printf("%s: %s\n", who, bml_mcmc_strerror(status));
    for (int k = 0; k < v.n_reasons; k++)
        printf("    %s\n", v.reason[k].text);
}

int main(void) {
    static double alone[LENGTH];
    const double start[CHAINS] = {-6, 6, -5, 7};
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, 1, 0);
    for (int k = 0; k < CHAINS; k++)
        metropolis(k, start[k], &rng);
    for (int step = 0; step < LENGTH; step++)
        alone[step] = theta[step * CHAINS];

    bml_mcmc_chain one = {
        .theta = alone,
        .n_steps = LENGTH,
        .n_walkers = 1,
        .n_dim = 1,
    };
    bml_mcmc_chain all = {
        .theta = theta,
        .n_steps = LENGTH,
        .n_walkers = CHAINS,
        .n_dim = 1,
    };
    judge("one chain alone", one);
    judge("all four", all);
    bml_mcmc_summary summary;
    bml_mcmc_summarize(&summary, all);

    picture("05_verdict", 1, 2);
    panel("step", "x");
    set("xtics 5000");
    set("title '4 chains: R-hat = %.2f; allowed: 1.01'", summary.rhat);
    set("yrange [-12:12]");
    set("key center maxrows 2"); /* where no chain is */
    for (int k = 0; k < CHAINS; k++) {
        char name[20];
        snprintf(name, sizeof name, "chain %d", k + 1);
        curve(THIN, name);
        for (int step = 0; step < LENGTH; step += 40)
            point(step, theta[step * CHAINS + k]);
    }
    panel("x", "probability density");
    set("yrange [0:0.55]");
    curve(LINE, "target");
    for (double x = -12; x < 12; x += 0.05)
        point(x, exp(log_prob(x)) / sqrt(2 * 3.14159265));
    curve(HISTOGRAM, "chain 1");
    density(alone, LENGTH, 1, -12, 12, 80);
    show();
    return 0;
}
