/* fit_sed: a table of a blazar's fluxes in, the posterior of a synchrotron self-Compton source out.

     build/fit_sed examples/data/3hsp_j095507.csv --redshift 0.557 --out fit

   1. draw from the prior and keep the best (search);
   2. let an ensemble of walkers climb, leaving behind those that are stuck, and fit a polynomial to what the solver
      answered on the way (climb);
   3. sample: walkers take dozens of steps on the polynomial, and the exact solver judges where they end (sample). The
      result is the posterior of the exact solver; the polynomial decides only how fast it comes (see
      BML_MCMC_SURROGATE). Where the polynomial is too low, walkers arrive seldom and stay long; plain moves between
      keep such places open;
   4. run until every parameter has --min-ess effective samples and the sampler's verdict is content
      (bml_mcmc_run_until), then write tables, chains and pictures (report).

   After 4 comes the verdict (judge.h): does the model fit, is the posterior inside its prior, has the sampler
   converged. Exit status 0: usable, 2: written but not to be trusted, 1: error.

   With --sampler nested the exact solver alone is asked, from the prior inwards, and the evidence comes with the
   posterior. With --model FILE a network of train_surrogate stands in for the solver all the way, and its gradients
   make --sampler nuts possible; in the end the solver is asked at some thousand draws how far the network was off. With
   --reweigh beside nested sampling the solver weighs all points of the network's run, and posterior and evidence are
   the solver's.

   options.h     what can be asked                 model.h network.h evaluate.h   the likelihood
   setup.h       from a table to a problem         state.h climb.h samplers.h     the sampling, interrupted or not
   draws.h       spectra of the posterior          judge.h report.h               the verdict, files and pictures
   calibrate.h   --calibrate                       catalog.h                      --catalog
   ../common/farm.h: under mpirun the likelihoods are shared among the ranks (make MPI=yes). */
#include "common.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#define BML_HADRON_IMPLEMENTATION
#include "bml_hadron.h"
#include "hadron_area.h"
#include "hadron_ssc.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#include "verdict.h"
#include "sed.h"
#include "sed_plot.h"
#include "ebl.h"
#include "surrogate.h"
#include "proton_net.h"
#include "device.h"
#include "farm.h"
#include "surroundings.h"
#include "report.h"
#include "calibrate.h"
#include "catalog.h"

enum { N_NEUTRINOS = 100 };
static const double light = 2.99792458e10; /* [cm/s] */
static const double pi = 3.14159265358979;

/* How the best model's ln likelihood changes without its protons: where they are not needed, all that they hold is a
   limit. */
static void judge_need(verdict *v, const problem *p, const best_point *best) {
    double none[N_PAR];
    double *dex = room(p->sed.n, 1);
    int done;
    copy_doubles(none, best->full, N_PAR);
    none[L_P] = parameters[L_P].least;
    const double with = exact(p, best->full, dex, &done);
    const double change = exact(p, none, dex, &done) - with;
    free(dex);
    const char *asked = "The data ask for protons";
    const char *then = "";
    if (!(change < -1)) {
        asked = "The data do not ask for these protons";
        then = ", so that what they hold is a limit and no finding";
    }
    verdict_add(v, VERDICT_GREEN, "protons_needed", change,
                "%s: without them the best model's ln likelihood changes by %+.3g%s.", asked, change, then);
}

/* --protons: what a referee would ask of them, in the best model. */
static void judge_protons(verdict *v, const problem *p, const best_point *best) {
    bml_hadron_derived q;
    bml_hadron_balance e;
    if (!p->protons.blob) return;
    const bml_hadron_blob *protons = p->protons.blob[0];
    const double *full = best->full;
    if (solve(p->blob[0], p, full)) return;
    if (bml_hadron_derive(&q, protons)) return;
    if (bml_hadron_energy(&e, protons)) return;
    const double U_B = pow(10, 2 * full[B]) / (8 * pi);
    const double over = q.U_p / U_B;
    const double wide = pow(10, full[R] + full[DELTA]); /* R Gamma, Gamma = delta */
    const double power = 2 * pi * wide * wide * light * q.U_p;
    const double missing = fabs(e.residual);
    verdict_add(v, verdict_colour(over, 100, 1e5), "Up_over_UB", over,
                "Protons hold %.2g erg/cm3, %.2g times the field's, and give %.2g of their power to photons, pairs and "
                "neutrinos.",
                q.U_p, over, q.efficiency);
    verdict_add(v, verdict_colour(power, 1.3e47, 1e49), "P_protons", power,
                "Both jets carry %.2g erg/s of protons; a black hole of 1e9 suns shines with 1.3e47 at most.", power);
    verdict_add(v, verdict_colour(q.muon_cooling, 0.1, 1), "muon_cooling", q.muon_cooling,
                "Loss over decay rate of muons at gamma_max: above 0.1 neutrino spectra are too hard at the top.");
    verdict_add(v, verdict_colour(missing, 0.02, 0.1), "proton_energy", e.residual,
                "This share of the protons' energy is missing in their books.");
    if (p->opt->neutrinos >= 0) {
        const double ln_p = ln_neutrinos(p, full);
        verdict_add(v, verdict_colour(-ln_p, 3, 7), "neutrinos", ln_p,
                    "ln of the probability that exactly as many neutrinos are seen as %ld.", p->opt->neutrinos);
    }
    judge_need(v, p, best);
}

/* E^2 dN/dE of neutrinos of all flavours at the observer [GeV cm^-2 s^-1], flux [N_NEUTRINOS]; 0 on error. */
static int neutrinos_of(double *flux, const double *log10_GeV, const problem *p, const double *full) {
    enum { N = N_NEUTRINOS };
    const bml_hadron_blob *protons = p->protons.blob[0];
    bml_hadron_observer o = {0};
    double electron[3 * N]; /* then muon, then tau */
    const double *muon = electron + N;
    const double *tau = muon + N;
    o.redshift = p->opt->redshift;
    o.delta = pow(10, full[DELTA]);
    if (solve(p->blob[0], p, full)) return 0;
    if (bml_hadron_neutrinos(electron, log10_GeV, N, protons, &o)) return 0;
    for (int i = 0; i < N; i++)
        flux[i] = electron[i] + muon[i] + tau[i];
    return 1;
}

/* --protons: neutrinos.csv, of the best model and of draws of the posterior. */
static void write_neutrinos(const problem *p, const bml_mcmc_chain *chain, const best_point *best) {
    enum { DRAWS = 100 };
    enum { LEVELS = 5 };
    enum { COLUMNS = 2 + LEVELS };
    static const char head[] = "E_GeV,E2F_best_GeV_cm2_s,lo90,lo50,median,hi50,hi90";
    static const double level[LEVELS] = {0.05, 0.25, 0.5, 0.75, 0.95};
    char err[ERROR_SIZE];
    double log10_GeV[N_NEUTRINOS];
    double flux[DRAWS][N_NEUTRINOS];
    double best_flux[N_NEUTRINOS];
    double table[N_NEUTRINOS][COLUMNS] = {{0}};
    double full[N_PAR];
    const size_t all = chain->n_steps * (size_t)chain->n_walkers;
    int n = 0;
    if (!p->protons.blob) return;
    for (int i = 0; i < N_NEUTRINOS; i++)
        log10_GeV[i] = 1 + 0.1 * i;
    for (size_t k = 0; k < DRAWS; k++) {
        const size_t row = all * k / DRAWS;
        expand(full, p, chain->theta + row * (size_t)p->n_free);
        n += neutrinos_of(flux[n], log10_GeV, p, full);
    }
    if (!neutrinos_of(best_flux, log10_GeV, p, best->full)) return;
    for (int i = 0; i < N_NEUTRINOS; i++) {
        double one[DRAWS];
        double *row = table[i];
        row[0] = pow(10, log10_GeV[i]);
        if (n == 0) continue;
        for (int k = 0; k < n; k++)
            one[k] = flux[k][i];
        qsort(one, (size_t)n, sizeof *one, compare_double);
        row[1] = best_flux[i];
        for (int c = 0; c < LEVELS; c++) {
            const int rank = (int)(level[c] * (n - 1) + 0.5);
            row[2 + c] = one[rank];
        }
    }
    if (csv_write(p->opt->out, "neutrinos.csv", head, table[0], N_NEUTRINOS, COLUMNS, err)) fail("%s", err);
}

/* Everything that a fit leaves, at once. Returns whether pictures are missing. */
static int write_results(const problem *p, const option_row *rows, posterior *post, draws *g, const best_point *best,
                         const double *nu, const other_run *other, const goodness *q, const verdict *v,
                         double seconds) {
    char err[ERROR_SIZE];
    const char *remark = verdict_status(v) ? "verdict: not to be trusted" : NULL;
    out_together();
    write_chain(p, post->chain);
    write_posterior(p, post->summary, g);
    write_points(p, best, q);
    write_groups(p, q);
    int undrawn = write_sed(p, nu, best, g, q, remark);
    undrawn |= write_corner(p, post, other);
    write_neutrinos(p, &post->chain, best);
    if (verdict_write(v, p->opt->out, err)) fail("%s", err);
    write_run(p, rows, post, best, q, v, seconds);
    if (out_publish(err)) fail("%s", err);
    return undrawn;
}

/* One table to its folder. Returns the exit status. */
static int fit(problem *p, const option_row *rows) {
    const options *opt = p->opt;
    double nu[N_NU];
    posterior post = {0};
    draws g = {0};
    best_point best = {.data = NULL};
    goodness q;
    other_run other = {0};
    static verdict v;
    memset(&v, 0, sizeof v);
    if (opt->compare) read_other(&other, p);
    sample_posterior(&post, p);
    for (int k = 0; k < N_NU; k++)
        nu[k] = pow(10, 9 + 0.1 * k);
    find_best(&best, nu, p, post.chain);
    draw(&g, nu, p, post.chain);
    judge_fit(&q, p, &best, &g);
    if (by_network(p)) print_check(p, &post, &g);
    judge(&v, p, &post, &q, &g);
    judge_protons(&v, p, &best);
    if (opt->compare) judge_other(&v, &post, &other);
    const double seconds = p->seconds + seconds_now() - seconds_begun();
    const int undrawn = write_results(p, rows, &post, &g, &best, nu, &other, &q, &v, seconds);
    print_groups("band", q.band, q.n_bands);
    print_groups("instrument", q.instrument, q.n_instruments);
    print_table(p, &post, &best);
    print_sampler(p, &post, seconds);
    if (other.theta) print_other(p, &post, &other);
    printf("results in %s%s\n", opt->out,
           undrawn ? "; no gnuplot here: pictures are left as scripts, sed.gp and corner.gp" : "");
    verdict_print(stdout, &v);
    if (post.converged) state_remove(p);
    posterior_free(&post);
    draws_free(&g);
    goodness_free(&q);
    free(best.data);
    free(other.theta);
    return verdict_status(&v);
}

static const char usage[] = "fit_sed [options] SED";
static const char about[] =
    "Fits a one-zone synchrotron self-Compton model to a table of fluxes (CSV, ECSV, IPAC, ...: sed.h).\n"
    "Parameters and the ranges in which they are fitted (--prior and --fix may go beyond), log10: log_R [cm] 14..17, "
    "log_B [G] -2..2, log_gamma_min 0.1..4, log_gamma_max\n"
    "gamma_min + 2..8 and confined, log_l_e (injection compactness) -5..-1, p 1.5..3,\n"
    "log_delta 0..3, ln_f [dex] -10..1. With --electrons log_gamma_break 1..8, p2 1.5..6, curvature 0..3.\n"
    "With --field and --thermal those of the surroundings, log10. In brackets what holds unless --free names it:\n"
    "  grey       log_u_ext [erg/cm3] -8..3, log_T_ext [K] 2..7, both in the blob's frame\n"
    "  any other  log_Gamma 0..3 [= log_delta], log_distance [cm] 15..21 (but cmb), log_L_disc [erg/s] 41..48\n"
    "  blr, lines log_R_blr [cm] 14..19.5 [= 0.5 log_L_disc - 5.5], log_f_blr -4..0 [-1]. blr: Lyman alpha. lines: 25\n"
    "             of them, R_blr that of H beta\n"
    "  torus      log_R_torus [cm] 15.5..21 [= 0.5 log_L_disc - 4.1021], log_f_torus -4..0 [-0.301],\n"
    "             log_T_torus [K] 2..3.5 [3]\n"
    "  disc       log_M_bh [Msun] 6..10.5 [8.7]\n"
    "  host       log_L_host, nu L_nu in R [erg/s] 40..47\n"
    "With --protons log_l_p -8..-1, log_gamma_p_max 3..11 and confined, p_p 1..3 [2]. They hold 3 l_p m_p c^2/\n"
    "(sigma_T R) [erg/cm3]: at -8 more than a weak field, and --fix log_l_p=-15 is a source without them. --model is\n"
    "then a network of train_surrogate --protons, and neutrinos.csv has the neutrinos.\n"
    "Exit status 0: usable, 2: written but not to be trusted (verdict.txt says why), 1: error.";

/* The ranks of MPI beside the first: likelihoods for it, and nothing else. Where it fails they fail too, silently. One
   that a signal sends home takes its work with it: it ends without a farewell, so that mpirun ends the others too. */
static int serve(problem *p) {
    const int status = farm_serve(&p->others);
    if (status) exit(1);
    clean_up(p);
    return 0;
}

/* From options to results; the folder is there. */
static int fit_one(options *opt, const option_row *rows) {
    char err[ERROR_SIZE];
    problem p;
    set_up(&p, opt);
    if (farm_rank() > 0) return serve(&p);
    if (out_folder(opt->out, err)) fail("%s", err);
    if (out_lock(opt->out, err)) fail("%s", err);
    const int status = opt->calibrate ? calibrate(&p) : fit(&p, rows);
    farm_dismiss();
    clean_up(&p);
    return status;
}

int main(int argc, char **argv) {
    options opt = options_default;
    option_row rows[OPTION_ROWS];
    char err[ERROR_SIZE];
    seconds_begun();
    wait_passively(); /* starts the program again: before MPI */
    if (farm_begin(&argc, &argv)) fail("fit_sed: %s", farm_strerror(FARM_NO_MPI));
    if (farm_hush()) return 1;
    options_table(rows, &opt);
    const int first = options_parse(argc, argv, rows, usage, about);
    options checked = opt; /* with --catalog each row has a word in what the rest becomes */
    options_check(opt.catalog ? &checked : &opt);
    if (farm_ranks() > 1 && opt.calibrate) /* each source has a table of its own, which only the first rank knows */
        fail("fit_sed: --calibrate shares its work among --threads, not among ranks of MPI");
    if (!opt.calibrate) stop_on_signals(farm_rank() ? 0 : opt.time_limit);
    if (opt.catalog) {
        if (farm_ranks() > 1)
            fail("fit_sed: --catalog is shared by processes, not by ranks: start as many of a build without MPI, with "
                 "--resume");
        if (first != argc) fail("fit_sed: with --catalog the tables stand in its list");
        if (out_folder(opt.out, err)) fail("%s", err);
        return fit_catalog(&opt, fit_one);
    }
    if (argc - first != 1) fail("fit_sed: one SED file is needed, see --help");
    opt.input = argv[first];
    const int status = fit_one(&opt, rows);
    farm_end();
    return status;
}
