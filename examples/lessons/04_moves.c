/* Lesson 4: three moves of an ensemble on a banana: how far do they get, and how soon do they forget?
   cc -std=c99 -O2 -I. examples/lessons/04_moves.c -o lesson -lm && ./lesson */
#include "lesson.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"

enum { WALKERS = 32, LENGTH = 4000, STRIDE = 2 * WALKERS };

/* x is normal, y is normal about x^2: a bent ridge. */
static void banana(double *log_prob, const double *theta, int n, int n_dim, void *user) {
    (void)user;
    for (int i = 0; i < n; i++) {
        double x = theta[i * n_dim];
        double y = theta[i * n_dim + 1];
        double off = (y - x * x) / 0.3;
        log_prob[i] = -0.5 * (x * x + off * off);
    }
}

/* Correlation of x with itself `lag` steps later, over all walkers; its mean is 0 by symmetry. */
static double correlation(const double *theta, int lag) {
    double product = 0;
    double square = 0;
    for (int i = 0; i < (LENGTH - lag) * STRIDE; i += 2) {
        product += theta[i] * theta[i + lag * STRIDE];
        square += theta[i] * theta[i];
    }
    return product / square;
}

int main(void) {
    const int kind[3] = {BML_MCMC_WALK, BML_MCMC_STRETCH, BML_MCMC_MIXTURE};
    const double center[2] = {0, 0};
    const double radius[2] = {1, 1};
    bml_mcmc_ensemble *ensemble[3];
    bml_mcmc_chain chain[3];
    picture("04_moves", 2, 2);
    for (int k = 0; k < 3; k++) {
        bml_mcmc_move move = {.kind = kind[k]};
        bml_mcmc_config config = {
            .n_dim = 2,
            .n_walkers = WALKERS,
        };
        config.log_prob = banana;
        config.moves = &move;
        config.n_moves = 1;
        must(bml_mcmc_ensemble_create(&ensemble[k], &config, WHY));
        must(bml_mcmc_start_ball(ensemble[k], center, radius));
        must(bml_mcmc_run(ensemble[k], 500));
        bml_mcmc_ensemble_clear(ensemble[k]); /* the way in is forgotten */
        must(bml_mcmc_run(ensemble[k], LENGTH));
        chain[k] = bml_mcmc_ensemble_chain(ensemble[k]);
        double tau[2];
        bml_mcmc_verdict verdict;
        bml_mcmc_autocorrelation(tau, chain[k]);
        bml_mcmc_ensemble_verdict(&verdict, ensemble[k], 0);
        printf("%-8s %s\n", bml_mcmc_move_name(kind[k]), verdict.n_reasons ? verdict.reason[0].text : "enough steps");

        panel("step", "x of one walker");
        set("title '%s, {/Symbol t} = %.0f steps'", bml_mcmc_move_name(kind[k]), tau[0]);
        set("xtics 100");
        set("yrange [-4:4]");
        for (int before = 0; before < k; before++)
            skip_style();
        curve(THIN, "");
        for (int step = 0; step < 500; step++)
            point(step, chain[k].theta[step * STRIDE]);
    }
    panel("lag [steps]", "autocorrelation of x");
    set("yrange [-0.1:1]");
    for (int k = 0; k < 3; k++) {
        curve(LINE, bml_mcmc_move_name(kind[k]));
        for (int lag = 0; lag < 120; lag++)
            point(lag, correlation(chain[k].theta, lag));
        bml_mcmc_ensemble_free(ensemble[k]);
    }
    show();
    return 0;
}
