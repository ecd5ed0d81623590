/* Lesson 18: is a posterior right? Draw truths from the prior, data from the truths, and rank each truth among the draws
   of its posterior: every rank is equally likely. A likelihood with the noise too small fails.
   cc -std=c99 -O2 -I. examples/lessons/18_ranks.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

enum { TRUTHS = 1000, DATA = 5, DRAWS = 99, BINS = 20 };

/* Ranks of TRUTHS means of a unit normal prior, each measured DATA times with noise 1; the analysis believes `sigma`. */
static void rank_all(int *rank, double sigma) {
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, 1, 0);
    for (int t = 0; t < TRUTHS; t++) {
        double truth = bml_mcmc_rng_normal(&rng);
        double sum = 0;
        for (int k = 0; k < DATA; k++)
            sum += truth + bml_mcmc_rng_normal(&rng);
        double precision = 1 + DATA / (sigma * sigma); /* of the posterior, a normal in closed form */
        double mean = sum / (sigma * sigma) / precision;
        double draw[DRAWS];
        for (int d = 0; d < DRAWS; d++)
            draw[d] = mean + bml_mcmc_rng_normal(&rng) / sqrt(precision);
        bml_mcmc_chain chain = {.theta = draw, .n_steps = DRAWS, .n_walkers = 1, .n_dim = 1};
        must(bml_mcmc_sbc_ranks(&rank[t], chain, &truth, DRAWS));
    }
}

int main(void) {
    static int rank[TRUTHS];
    static double value[TRUTHS];
    const double expected = TRUTHS / (double)BINS;
    picture("18_ranks", 1, 2);
    for (int wrong = 0; wrong < 2; wrong++) {
        double fraction;
        double sd;
        const double sigma = wrong ? 0.6 : 1;
        rank_all(rank, sigma);
        double p = bml_mcmc_sbc_p_value(rank, TRUTHS, DRAWS, BINS);
        must(bml_mcmc_coverage(&fraction, &sd, rank, TRUTHS, DRAWS, 0.68));
        printf("noise %g: p = %.2g; the 68 %% interval holds %.1f +- %.1f %% of the truths\n", sigma, p, 100 * fraction,
               100 * sd);
        panel("rank of the truth among 99 draws", "density of ranks");
        set("title 'noise believed: %g; true: 1'", sigma);
        set("ytics 0.01");
        set("yrange [0:0.05]");
        curve(BAND, "flat, and 2 {/Symbol s} of chance");
        for (int side = 0; side < 2; side++) {
            double spread = 2 * sqrt(expected) / TRUTHS * BINS / 100;
            point3(100 * side, 0.01 - spread, 0.01 + spread);
        }
        curve(HISTOGRAM, "1000 truths");
        for (int t = 0; t < TRUTHS; t++)
            value[t] = rank[t];
        density(value, TRUTHS, 1, 0, 100, BINS);
    }
    show();
    return 0;
}
