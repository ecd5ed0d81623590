/* fit_sed: a table of a blazar's fluxes in, the posterior of a synchrotron self-Compton source out.

     build/fit_sed examples/data/3hsp_j095507.csv --redshift 0.557 --out fit

   1. draw from the prior and keep the best (search);
   2. let an ensemble of walkers climb, leaving behind those that are stuck, and fit a polynomial to what the solver
      answered on the way (climb);
   3. sample: walkers take dozens of steps on the polynomial, and the exact solver judges where they end (sample). The
      result is the posterior of the exact solver; the polynomial decides only how fast it comes (see
      BML_MCMC_SURROGATE). Where the polynomial is too low, walkers arrive seldom and stay long; plain moves between
      keep such places open;
   4. run until every parameter has 50 autocorrelation times, then write tables, chains and pictures (report).

   With --sampler nested the exact solver alone is asked, from the prior inwards, and the evidence comes with the
   posterior. With --model FILE a network of train_surrogate stands in for the solver all the way, and its gradients
   make --sampler nuts possible; in the end the solver is asked at some thousand draws how far the network was off. With
   --reweigh beside nested sampling the solver weighs all points of the network's run, and posterior and evidence are the
   solver's.

   The problem is in model.h, the samplers are in samplers.h, and what is written and drawn in
   report.h; here are the options, and --calibrate. */
#include "common.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#include "sed.h"
#include "sed_plot.h"
#include "ebl.h"
#include "surrogate.h"
#include "device.h"
#include "model.h"
#include "samplers.h"
#include "report.h"

/* ==== calibration: is the posterior honest for data like these? ===================================================
   Sources drawn from the prior, solved exactly, with noise of the table's own errors at its frequencies, are fitted one
   by one as the table itself would be; the ranks of the truths in their posteriors must be uniform (Talts et al. 2018,
   arXiv:1804.06788). */

enum { RANK_DRAWS = 49, RANK_BINS = 10 };

/* A truth from the prior that reaches every point of the table, and the table as it would be seen; theta [n_free]
   out. */
static void simulate(double *theta, problem *p, bml_mcmc_rng *rng) {
    double cube[N_PAR];
    double full[N_PAR];
    double *flux = p->dex;
    bml_ssc_observer o;
    for (long tries = 0;; tries++) {
        int reached = 0;
        if (tries == 100000) fail("fit_sed: --calibrate: no source of the prior reaches all points of the table");
        for (int k = 0; k < p->n_free; k++)
            cube[k] = bml_mcmc_rng_uniform(rng);
        if (bml_mcmc_prior_transform(p->prior, theta, cube)) fail("fit_sed: the prior leaves no room");
        expand(full, p, theta);
        if (!allowed(full) || solve(p->blob[0], p, full)) continue;
        o = observer_of(p, full);
        if (bml_ssc_sed(flux, p->nu, p->sed.n, p->blob[0], &o, BML_SSC_TOTAL)) continue;
        for (int i = 0; i < p->sed.n; i++)
            reached += flux[i] > 0;
        if (reached == p->sed.n) break;
    }
    for (int i = 0; i < p->sed.n; i++) {
        bml_ssc_point *d = &p->sed.point[i];
        p->log_data[i] = log10(flux[i]) + hypot(d->sigma_hi, exp(full[LN_F])) * bml_mcmc_rng_normal(rng);
        d->nuFnu = pow(10, p->log_data[i]);
    }
}

/* ranks.csv: a row for each source, a column for each parameter, 0 ... RANK_DRAWS. */
static void write_ranks(const problem *p, const int *ranks, long n, long room) {
    char err[ERROR_SIZE];
    out_file o;
    if (out_begin(&o, p->opt->out, "ranks.csv", err)) fail("%s", err);
    for (int k = 0; k < p->n_free; k++)
        fprintf(o.f, "%s%c", parameters[p->free_par[k]].name, k + 1 < p->n_free ? ',' : '\n');
    for (long i = 0; i < n; i++)
        for (int k = 0; k < p->n_free; k++)
            fprintf(o.f, "%d%c", ranks[k * room + i], k + 1 < p->n_free ? ',' : '\n');
    if (out_commit(&o, err)) fail("%s", err);
}

static void print_calibration(const problem *p, const int *ranks, long n, long room, long converged) {
    printf("%-14s %9s %16s %16s\n", "parameter", "p(ranks)", "68 % hold", "90 % hold");
    for (int k = 0; k < p->n_free; k++) {
        double hold[2] = {0};
        double sd[2] = {0};
        const int *r = ranks + k * room;
        bml_mcmc_coverage(&hold[0], &sd[0], r, (int)n, RANK_DRAWS, 0.68);
        bml_mcmc_coverage(&hold[1], &sd[1], r, (int)n, RANK_DRAWS, 0.90);
        printf("%-14s %9.4f %8.3f +- %.3f %8.3f +- %.3f\n", parameters[p->free_par[k]].name,
               bml_mcmc_sbc_p_value(r, (int)n, RANK_DRAWS, RANK_BINS), hold[0], sd[0], hold[1], sd[1]);
    }
    printf("%ld sources, %ld of them converged (the others are counted all the same)\n", n, converged);
}

static int calibrate(problem *p) {
    const options *given = p->opt;
    const long n = given->calibrate;
    options opt = *given;
    int *ranks = calloc((size_t)n * (size_t)p->n_free, sizeof *ranks);
    int one[N_PAR];
    long converged = 0;
    long done = 0;
    if (!ranks) fail("fit_sed: out of memory");
    for (int i = 0; i < p->sed.n; i++)
        if (p->sed.point[i].upper_limit || fabs(p->sed.point[i].sigma_lo - p->sed.point[i].sigma_hi) > 1e-12)
            fail("fit_sed: --calibrate: point %d is a limit or has unequal errors: such noise cannot be drawn", i + 1);
    opt.quiet = 1;
    progress_bar bar;
    progress_begin(&bar, "calibrating", (double)n, given->quiet);
    for (long i = 0; i < n; i++) {
        double truth[N_PAR];
        posterior post = {0};
        bml_mcmc_rng rng;
        bml_mcmc_rng_init(&rng, given->seed, 100 + (uint64_t)i);
        opt.seed = given->seed + 10000 * (uint64_t)(i + 1);
        p->opt = given;
        simulate(truth, p, &rng);
        p->opt = &opt;
        p->learned.n = 0;
        p->learned.best = -HUGE_VAL;
        p->archive_n = 0;
        response_free(&p->response);
        samplers[opt.sampler](&post, p);
        if (!bml_mcmc_sbc_ranks(one, post.chain, truth, RANK_DRAWS)) {
            for (int k = 0; k < p->n_free; k++)
                ranks[k * n + done] = one[k];
            done++;
            converged += post.converged;
            write_ranks(p, ranks, done, n); /* after every source: an interrupted study is not lost */
        }
        posterior_free(&post);
        progress_at(&bar, (double)(i + 1), NULL);
    }
    progress_end(&bar);
    p->opt = given;
    print_calibration(p, ranks, done, n, converged);
    free(ranks);
    return 0;
}

/* ==== main ======================================================================================================== */

static int fit(problem *p, const option_row *rows, const char *input) {
    const options *opt = p->opt;
    double begin = seconds_now();
    double nu[N_NU];
    posterior post = {0};
    draws g = {0};
    other_run other = {0};
    if (opt->compare) read_other(&other, p);
    samplers[opt->sampler](&post, p);
    for (int k = 0; k < N_NU; k++)
        nu[k] = pow(10, 9 + 0.1 * k);
    best_point best;
    find_best(&best, nu, p, post.chain);
    draw(&g, nu, p, post.chain);
    write_chain(p, post.chain);
    write_posterior(p, post.summary, &g);
    int drawn = write_sed(p, nu, &best, &g) | write_corner(p, post.chain, &other);
    double seconds = seconds_now() - begin;
    write_run(p, rows, input, &post, &best, seconds);
    print_table(p, &post, &best, seconds);
    if (by_network(p)) print_check(p, &g, post.chain);
    if (other.theta) print_other(p, &post, &other);
    printf("results in %s%s\n", opt->out,
           drawn ? "; no gnuplot here: pictures are left as scripts, sed.gp and corner.gp" : "");
    if (!post.converged && post.markov)
        printf("NOT CONVERGED: the chain is shorter than 50 autocorrelation times, its walkers disagree, or a "
               "parameter has fewer\n"
               "than %.0f effective samples. Take these numbers as a preview, and go on with --resume and more --%s.\n",
               opt->min_ess, opt->sampler == SAMPLER_NUTS ? "draws" : "steps");
    else if (!post.converged)
        printf("NOT CONVERGED: take these numbers as a preview, and go on with --resume and more --calls.\n");
    if (post.converged) state_remove(p);
    posterior_free(&post);
    free(g.derived);
    free(g.flux);
    free(g.off);
    free(other.theta);
    return post.converged ? 0 : 2;
}

int main(int argc, char **argv) {
    options opt = {.redshift = 0,
                   .systematic_scatter = 1,
                   .walkers = 48,
                   .draws = 20000,
                   .burn = 100,
                   .live = 400,
                   .seed = 1,
                   .confidence = 0.95,
                   .min_ess = 400,
                   .out = "fit_sed_out"};
    const option_row rows[] = {
        {.name = "redshift",
         .real = &opt.redshift,
         .min = 0,
         .max = 10,
         .value = "Z",
         .help = "of the source; 0: as the table says"},
        {.name = "ebl",
         .text = &opt.ebl,
         .value = "FILE",
         .help =
             "optical depths of the extragalactic background light, energy by redshift (ebl.h); none: no absorption"},
        {.name = "grid", .choice = &opt.grid, .value = "converged|athena", .help = "energy grid of the solver"},
        {.name = "ssa", .flag = &opt.ssa, .help = "synchrotron self-absorption"},
        {.name = "gg", .flag = &opt.pairs, .help = "photon-photon absorption and pair injection"},
        {.name = "walkers",
         .integer = &opt.walkers,
         .min = 2,
         .max = 100000,
         .value = "N",
         .help = "even, at least twice the parameters"},
        {.name = "steps",
         .integer = &opt.steps,
         .min = 10,
         .max = 1e8,
         .value = "N",
         .help = "at most; ends earlier when converged; 0: 6000, with --model 20000"},
        {.name = "burn",
         .integer = &opt.burn,
         .min = 0,
         .max = 1e8,
         .value = "N",
         .help = "steps thrown away first, after the climb"},
        {.name = "min-ess",
         .real = &opt.min_ess,
         .min = 0,
         .max = 1e9,
         .value = "N",
         .help = "effective samples wanted of every parameter"},
        {.name = "sampler",
         .choice = &opt.sampler,
         .value = "ensemble|nested|nuts",
         .help = "nested gives the evidence too; nuts needs --model"},
        {.name = "model",
         .text = &opt.model,
         .value = "FILE",
         .help = "network of train_surrogate in the solver's place"},
        {.name = "outside",
         .choice = &opt.outside,
         .value = "refuse|solve",
         .help = "where the model was not trained: probability 0, or the solver"},
        {.name = "reweigh",
         .flag = &opt.reweigh,
         .help = "nested: the solver weighs all points of the model's run: posterior and ln Z are its own"},
        {.name = "model-error", .flag = &opt.model_error, .help = "add the model's own error to the data's"},
        {.name = "draws",
         .integer = &opt.draws,
         .min = 100,
         .max = 1e8,
         .value = "N",
         .help = "of each NUTS chain, at most; ends earlier when converged"},
        {.name = "live",
         .integer = &opt.live,
         .min = 2,
         .max = 1000000,
         .value = "N",
         .help = "live points of nested sampling"},
        {.name = "sweeps",
         .integer = &opt.sweeps,
         .min = 0,
         .max = 1000,
         .value = "N",
         .help = "slices of nested sampling for each new point and parameter; 0: until its start is forgotten"},
        {.name = "evidence-error",
         .real = &opt.evidence_error,
         .min = 0,
         .max = 1e9,
         .value = "E",
         .help = "of ln Z, by more live points; 0: as it comes"},
        {.name = "calls",
         .integer = &opt.calls,
         .min = 0,
         .max = 1e12,
         .value = "N",
         .help = "of the solver, nested sampling, at most; 0: no limit"},
        {.name = "moves",
         .choice = &opt.moves,
         .value = "surrogate|stretch|de|mixture",
         .help = "proposals of the sampling"},
        DEVICE_OPTION(&opt.device),
        {.name = "threads", .integer = &opt.threads, .min = 0, .max = 1024, .value = "N", .help = "0: all cores"},
        {.name = "seed", .natural = &opt.seed, .value = "S", .help = "same seed, same results"},
        {.name = "fix", .list = &opt.fix, .value = "NAME=VALUE", .help = "hold a parameter; may be repeated"},
        {.name = "prior", .text = &opt.prior, .value = "FILE", .help = "lines name,kind,a,b: uniform, normal, ..."},
        {.name = "systematic-scatter",
         .flag = &opt.systematic_scatter,
         .help = "fit ln f, a scatter in dex beyond the errors"},
        {.name = "confidence",
         .real = &opt.confidence,
         .min = 0.5001,
         .max = 0.99999,
         .value = "C",
         .help = "one-sided, of upper limits without their own"},
        {.name = "calibrate",
         .integer = &opt.calibrate,
         .min = 20,
         .max = 100000,
         .value = "N",
         .help = "instead: fit N simulated tables like this one, and count the truths"},
        {.name = "resume", .flag = &opt.resume, .help = "go on from what a run of the same options left in --out"},
        {.name = "compare", .text = &opt.compare, .value = "DIR", .help = "results of another fit, laid over this one"},
        {.name = "quiet", .flag = &opt.quiet, .help = "no progress bar"},
        {.name = "out", .text = &opt.out, .value = "DIR", .help = "folder for tables, chains and pictures"},
        {0}};
    int first =
        options_parse(argc, argv, rows, "fit_sed [options] SED",
                      "Fits a one-zone synchrotron self-Compton model to a table of fluxes (CSV or ECSV).\n"
                      "Parameters, log10: log_R [cm] 14..17, log_B [G] -2..2, log_gamma_min 0.1..4, log_gamma_max\n"
                      "gamma_min + 2..8 and confined, log_l_e (injection compactness) -5..-1, p 1.5..3,\n"
                      "log_delta 0..3, ln_f [dex] -10..1. Gamma rays are absorbed on the way only with --ebl.\n"
                      "Exit status 0: converged, 2: not yet, 1: error.");
    char err[ERROR_SIZE];
    if (argc - first != 1) fail("fit_sed: one SED file is needed, see --help");
    if (opt.steps == 0) opt.steps = opt.model ? 20000 : 6000;
    if (opt.sampler == SAMPLER_NUTS && !opt.model) fail("fit_sed: --sampler nuts needs gradients: give --model");
    if (opt.reweigh && (!opt.model || opt.sampler != SAMPLER_NESTED))
        fail("fit_sed: --reweigh needs --model and --sampler nested");
    if (opt.device == DEVICE_CUDA && opt.sampler == SAMPLER_NUTS)
        fail("fit_sed: --sampler nuts takes gradients, which the CPU gives: not with --device cuda");
    problem p;
    set_up(&p, &opt, argv[first]);
    if (opt.redshift == 0) opt.redshift = p.sed.redshift;
    if (!(opt.redshift > 0)) fail("fit_sed: --redshift must be above 0, or stand in the table");
    ebl_observe(&p);
    if (opt.model) net_observe(&p);
    if (opt.walkers % 2 || opt.walkers < 2 * p.n_free)
        fail("fit_sed: --walkers %ld: an even number of at least %d is needed for %d parameters", opt.walkers,
             2 * p.n_free, p.n_free);
    if (!opt.calibrate) {
        signal(SIGINT, interrupt);
        signal(SIGTERM, interrupt);
    }
    if (out_folder(opt.out, err)) fail("%s", err);
    int status = opt.calibrate ? calibrate(&p) : fit(&p, rows, argv[first]);
    clean_up(&p);
    return status;
}
