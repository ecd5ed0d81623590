/* fit_xray: an X-ray spectrum (PHA, RMF, ARF) in; parameters, goodness of fit, posteriors, fluxes and pictures out.

     build/fit_xray fit source.pha --model 'tbabs*(powerlaw+bbodyrad)' --e-min 0.5 --e-max 10
     build/fit_xray nested source.pha --model 'tbabs*powerlaw' --prior prior.csv
     build/fit_xray sample source.pha --model 'tbabs*powerlaw' --prior prior.csv
     build/fit_xray fakeit new.pha --rmf d.rmf --exposure 1e4 --model powerlaw --fix PhoIndex=2 --fix norm=1e-3
     build/fit_xray train source.pha --model 'tbabs*powerlaw' --prior prior.csv --n 50000 --out net/net.safetensors
     build/fit_xray infer source.pha --net net/net.safetensors
     build/fit_xray judge source.pha --net net/net.safetensors --n 500
     build/fit_xray steppar source.pha --model 'tbabs*powerlaw' --steppar PhoIndex=1.5:2.5:30 --steppar nH=0:1:30
     build/fit_xray fit xrt.pha tev.pha --points uv.csv --model 'tbabs*ebl{tau.fits}*ssc' --range 0.3:10 --range 1e8:1e11
         --fix ssc.Redshift=0.031 --fix ebl.Redshift=0.031

   Several spectra are fitted together, each with the files that it names or that --rmf, --arf, --background, repeated,
   give it; --untie NAME gives each but the first its own value of a parameter.

   Here: the commands fit, steppar and fakeit, the options, main. The other commands: samplers.h (sample, nested),
   train.h, nets.h (infer, judge, compare); what all of them share: session.h,
   report.h. What is of use beyond this program: xray.h (models, statistics), xray_ogip.h (files), xray_fit.h,
   xray_net.h, xray_train.h, xray_judge.h (networks), xray_plot.h (pictures). */
#include "common.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#include "farm.h" /* mpirun: make MPI=yes */
#include "nets.h"
#include "train.h"

/* ==== fit ========================================================================================================= */

/* Intervals of all parameters, [d][4]: 68.3 % and 90 %. Starts again when a better place turns up. */
static void all_intervals(double *out, session *s, xray_best *best) {
    xray_fitter *f = s->fitter[0];
    for (int k = 0, again = 0; k < f->n_free; k++) {
        double *row = out + 4 * k;
        int better = xray_interval(&row[0], &row[1], f, best, k, 1.0);
        if (!better) {
            better = xray_interval(&row[2], &row[3], f, best, k, 2.706);
        }
        if (!better) {
            continue;
        }
        if (again++ < 20) {
            k = -1;
        }
    }
}

/* "at its limit" and its like in the place of an error; NULL where there is one. */
static const char *state_word(int state) {
    static const char *const words[] = {NULL, "at its limit", "at its limit", "no effect", "tied"};
    return words[state];
}

static void print_fit(const session *s, const xray_best *best, const double *interval) {
    printf("%-22s %12s %12s %25s %25s\n", "parameter", "value", "sigma", "68 % interval", "90 % interval");
    for (int k = 0; k < s->fitter[0]->n_free; k++) {
        const double *i = interval + 4 * k;
        char sigma[32];
        const char *word = state_word(best->state[k]);
        snprintf(sigma, sizeof sigma, "%.2g", best->sigma[k]);
        printf("%-22s %12.5g %12s", parameter_name(s, k), best->theta[k], word ? word : sigma);
        printf(" %12.5g %12.5g", i[0], i[1]);
        printf(" %12.5g %12.5g  %s\n", i[2], i[3], parameter_unit(s, k));
    }
}

/* DIR/parameters.csv */
static void write_fit(const session *s, const xray_best *best, const double *interval) {
    const xray_fitter *f = s->fitter[0];
    char err[ERROR_SIZE];
    out_file o;
    if (out_begin(&o, s->opt->out, "parameters.csv", err)) {
        fail("%s", err);
    }
    fprintf(o.f, "parameter,unit,value,sigma,lo68,hi68,lo90,hi90,state\n");
    for (int k = 0; k < f->n_free; k++) {
        const double *i = interval + 4 * k;
        const char *word = state_word(best->state[k]);
        fprintf(o.f, "%s,%s,", parameter_name(s, k), parameter_unit(s, k));
        fprintf(o.f, "%.9g,%.6g,", best->theta[k], best->sigma[k]);
        fprintf(o.f, "%.9g,%.9g,", i[0], i[1]);
        fprintf(o.f, "%.9g,%.9g,%s\n", i[2], i[3], word ? word : "measured");
    }
    if (out_commit(&o, err)) {
        fail("%s", err);
    }
}

/* The name of what was minimised: C, W or chi2; C+W where spectra differ. */
static const char *statistic_name(const session *s) {
    static const char *const names[] = {"C", "W", "chi2", "chi2 of the points"};
    int kind = xray_kind_of(&s->data[0], s->problem.kind);
    for (int i = 1; i < s->n_data; i++)
        if (xray_kind_of(&s->data[i], s->problem.kind) != kind) {
            return "statistic";
        }
    return names[kind];
}

static int command_fit(session *s) {
    xray_fitter *f = s->fitter[0];
    xray_best best;
    double interval[4 * XRAY_MAX_FREE];
    double flux[2][3];
    xray_fit_starts(&best, f, (int)s->opt->starts, s->opt->seed);
    if (!isfinite(best.statistic)) {
        fail("fit_xray fit: the model is not finite anywhere in its ranges");
    }
    all_intervals(interval, s, &best);
    print_fit(s, &best, interval);
    printf("%s %.2f in %d bins, %d free parameters; %d of %ld starts ended there\n", statistic_name(s), best.statistic,
           f->n_bin, f->n_free, best.agree, s->opt->starts);
    goodness_of_fit g = goodness(s, &best);
    best_flux(s, &best, flux);
    write_fit(s, &best, interval);
    write_flux(s, flux);
    write_bins(s, best.theta);
    plot_best(s, best.theta);
    verdict v = {0};
    verdict_quality(&v, s, &best, &g);
    verdict_search(&v, s, &best);
    verdict_parameters(&v, s, &best);
    verdict_data(&v, s);
    run_entry results[] = {{"statistic", best.statistic, NULL},
                           {"bins", f->n_bin, NULL},
                           {"free", f->n_free, NULL},
                           {"starts_that_agree", best.agree, NULL},
                           {"share_of_simulations_below", g.share, NULL},
                           {"sigmas_from_expectation", g.sigmas, NULL},
                           {"flux_absorbed", flux[0][0], NULL},
                           {"flux_unabsorbed", flux[1][0], NULL},
                           {"evaluations", (double)f->evaluations, NULL},
                           {NULL, 0, NULL}};
    return finish(s, &v, results);
}

/* ==== fakeit ====================================================================================================== */

/* The name of a file as seen from the folder of `path`. */
static const char *seen_from(char *out, const char *path, const char *name) {
    char folder[PATH_SIZE];
    if (!name || name[0] == '/' || !strcmp(name, "none")) {
        return name;
    }
    if (!strchr(path, '/') || !getcwd(folder, sizeof folder)) {
        return name;
    }
    snprintf(out, 2 * PATH_SIZE, "%s/%s", folder, name);
    return out;
}

/* Counts of the channels, drawn from the model's; their sum. */
static double draw_counts(xray_pha *p, const xray_data *d, uint64_t seed) {
    double total = 0;
    bml_mcmc_rng rng;
    bml_mcmc_rng_init(&rng, seed, 10);
    for (int c = 0; c < p->n; c++) {
        int bin = d->bin[c];
        p->counts[c] = bin >= 0 ? xray_poisson(&rng, d->model[bin]) : 0;
        total += p->counts[c];
    }
    return total;
}

static int command_fakeit(session *s, const char *path) {
    xray_binning single = {.how = XRAY_GROUP_NONE};
    char err[ERROR_SIZE];
    char rmf[2 * PATH_SIZE];
    char arf[2 * PATH_SIZE];
    double full[XRAY_MAX_PAR];
    if (!s->opt->rmf.n) {
        fail("fit_xray fakeit: --rmf is needed");
    }
    const char *rmf_name = s->opt->rmf.item[0];
    const char *arf_name = s->opt->arf.n ? s->opt->arf.item[0] : NULL;
    xray_response r;
    xray_pha p;
    xray_data d;
    if (xray_response_read(&r, rmf_name, given_arf(s->opt), err) ||
        xray_pha_room(&p, r.n_channel, r.first_channel, s->opt->exposure, err) ||
        xray_data_make(&d, &p, NULL, &r, &s->ism, &single, err) ||
        xray_problem_init(&s->problem, &s->model, &d, 1, XRAY_C, err)) {
        fail("%s", err);
    }
    apply_fixes(s);
    for (int k = 0; k < s->problem.n_all; k++) {
        if (s->problem.par[k].free) {
            const char *name = s->problem.par[k].name;
            fail("fit_xray fakeit: '%s' needs a value: --fix %s=...", name, name);
        }
        full[k] = s->problem.par[k].value;
    }
    xray_work *work = xray_work_make(&s->model, &d, 1);
    if (!work) {
        fail("fit_xray: out of memory");
    }
    xray_fold_model(d.model, &d, &s->model, full, work);
    double total = draw_counts(&p, &d, s->opt->seed);
    rmf_name = seen_from(rmf, path, rmf_name);
    arf_name = seen_from(arf, path, arf_name);
    if (xray_pha_write(&p, path, rmf_name, arf_name, err)) {
        fail("%s", err);
    }
    printf("%s: %.0f counts in %d channels, %g s\n", path, total, p.n, p.exposure);
    verdict v = {0};
    verdict_add(&v, total > 0 ? VERDICT_GREEN : VERDICT_YELLOW, "counts", total,
                total > 0 ? "%.0f counts are drawn." : "No counts are drawn (%.0f): look at the norm and the exposure.",
                total);
    if (r.note[0]) {
        verdict_add(&v, VERDICT_YELLOW, "response", 0, "%.300s.", r.note);
    }
    verdict_print(stdout, &v);
    xray_work_free(work);
    xray_data_free(&d);
    xray_pha_free(&p);
    xray_response_free(&r);
    return verdict_status(&v);
}

/* ==== steppar ===================================================================================================== */

/* --steppar NAME=LO:HI:N: an axis of at most 400 steps. Returns the number of the free parameter. */
static int step_axis(double *value, int *n, session *s, const char *text) {
    char copy[128];
    long steps = 0;
    double ends[2];
    snprintf(copy, sizeof copy, "%s", text);
    char *low = strchr(copy, '=');
    char *high = low ? strchr(low, ':') : NULL;
    char *number = high ? strchr(high + 1, ':') : NULL;
    if (!number) {
        fail("--steppar: '%.60s' is not NAME=LOW:HIGH:STEPS", text);
    }
    *low++ = *high++ = *number++ = 0;
    int bad = read_real(&ends[0], low) || read_real(&ends[1], high);
    bad = bad || read_integer(&steps, number);
    if (bad || steps < 2 || steps > 400 || !(ends[0] < ends[1])) {
        fail("--steppar: '%.60s' is not NAME=LOW:HIGH:STEPS, with 2 to 400 steps", text);
    }
    int all = find_parameter(s, "--steppar", copy);
    int k = 0;
    while (k < s->fitter[0]->n_free && s->fitter[0]->free_par[k] != all)
        k++;
    if (k == s->fitter[0]->n_free) {
        fail("--steppar: '%s' is not free", copy);
    }
    const xray_parameter *q = &s->problem.par[all];
    if (ends[0] < q->lo || ends[1] > q->hi) {
        fail("--steppar: '%s' lies within %g and %g", copy, q->lo, q->hi);
    }
    int logarithmic = q->log && ends[0] > 0;
    for (int i = 0; i < steps; i++) {
        double t = (double)i / (double)(steps - 1);
        if (logarithmic) {
            value[i] = ends[0] * pow(ends[1] / ends[0], t);
        } else {
            value[i] = ends[0] + t * (ends[1] - ends[0]);
        }
    }
    *n = (int)steps;
    return k;
}

/* The least statistic with the parameters at[n] held at value[n], the others fitted from start[n_free], which is left
   where that ends. */
static double step_at(session *s, double *start, const int *at, const double *value, int n) {
    xray_fitter *f = s->fitter[0];
    int fixed[XRAY_MAX_FREE] = {0};
    xray_best one;
    for (int i = 0; i < n; i++) {
        int k = at[i];
        int all = f->free_par[k];
        fixed[k] = 1;
        start[k] = xray_par_u(&s->problem.par[all], value[i]);
    }
    xray_climb(&one, f, start, fixed);
    memcpy(start, one.u, (size_t)f->n_free * sizeof *start);
    return one.statistic;
}

/* The profile over one parameter or two: steppar.csv, steppar.png with the contours of 68.3, 90 and 99 %. */
static int command_steppar(session *s) {
    enum { STEPS = 400 };
    static double axis[2][STEPS];
    int n[2] = {1, 1};
    int at[2] = {0, 0};
    int axes = s->opt->steppar.n;
    char err[ERROR_SIZE];
    xray_best best;
    if (axes < 1 || axes > 2) {
        fail("fit_xray steppar: --steppar NAME=LOW:HIGH:STEPS, once or twice");
    }
    for (int a = 0; a < axes; a++)
        at[a] = step_axis(axis[a], &n[a], s, s->opt->steppar.item[a]);
    if (axes == 2 && at[0] == at[1]) {
        fail("fit_xray steppar: two different parameters are needed");
    }
    xray_fit_starts(&best, s->fitter[0], (int)s->opt->starts, s->opt->seed);
    double *table = xray_alloc((size_t)(n[0] * n[1]), 4 * sizeof *table);
    if (!table) {
        fail("fit_xray: out of memory");
    }
    double start[XRAY_MAX_FREE];
    double least = best.statistic;
    memcpy(start, best.u, sizeof start);
    for (int i = 0; i < n[0]; i++)
        for (int k = 0; k < n[1]; k++) { /* there and back again: each begins where its neighbour ended */
            int j = i % 2 ? n[1] - 1 - k : k;
            double value[2] = {axis[0][i], axis[1][j]};
            double *row = table + 4 * (i * n[1] + j);
            memcpy(row, value, sizeof value);
            row[2] = step_at(s, start, at, value, axes);
            row[3] = row[2] - best.statistic;
            least = fmin(least, row[2]);
        }
    const char *columns = "first,second,statistic,rise";
    const char *first = parameter_name(s, at[0]);
    const char *second = parameter_name(s, at[1]);
    const double place[2] = {best.theta[at[0]], best.theta[at[1]]};
    const char *out = s->opt->out;
    if (csv_write(out, "steppar.csv", columns, table, n[0] * n[1], 4, err)) {
        fail("%s", err);
    }
    if (xray_plot_steppar(out, table, n, axes, first, second, place, err)) {
        fail("%s", err);
    }
    printf("%s %.2f at the best fit; least on the grid %.2f\n", statistic_name(s), best.statistic, least);
    verdict v = {0};
    int better = least < best.statistic - 0.1;
    verdict_add(&v, better ? VERDICT_RED : VERDICT_GREEN, "least", least - best.statistic,
                better ? "The grid holds a place better than the fit: take more --starts."
                       : "Nothing on the grid is better than the fit.");
    verdict_search(&v, s, &best);
    verdict_parameters(&v, s, &best);
    verdict_data(&v, s);
    run_entry results[] = {{"statistic", best.statistic, NULL}, {"least_on_grid", least, NULL}, {NULL, 0, NULL}};
    free(table);
    return finish(s, &v, results);
}

/* ==== main ======================================================================================================== */

static const char about[] =
    "commands:\n"
    "  fit SPECTRUM...     maximum likelihood from many starts, intervals, goodness of fit, fluxes\n"
    "  steppar SPECTRUM... least statistic over a grid of one parameter or two (--steppar), contours, a picture\n"
    "  nested SPECTRUM...  posterior and evidence by nested sampling (needs --prior)\n"
    "  sample SPECTRUM...  posterior by the ensemble sampler (needs --prior)\n"
    "  fakeit NEW.pha      a simulated spectrum (needs --rmf, --exposure, and every parameter by --fix)\n"
    "  train [SPECTRUM]    a network for spectra like this one, or for --response and --exposure; --out "
    "FILE.safetensors\n"
    "  infer SPECTRUM      posterior by a network (--net FILE), corrected by importance resampling\n"
    "  judge [SPECTRUM]    coverage, ranks and fits for --n simulated spectra, by a network\n"
    "  compare SPECTRUM    network, resampled, nested and ensemble sampling of one spectrum, side by side\n"
    "Spectra are OGIP PHA files; response and background are those that the file names unless given here.\n"
    "file[2]: its second extension; file{3}: the third spectrum of a type II file.\n"
    "Models: sums and products of powerlaw zpowerlw bknpower cutoffpl logpar pegpwrlw bbodyrad diskbb gaussian, times\n"
    "tbabs ztbabs phabs zphabs constant cflux (xray.h says what they are), in any case and shortened as in XSPEC;\n"
    "ssc, a one-zone synchrotron self-Compton source, and ebl{FILE}; atable{FILE} mtable{FILE} etable{FILE} of XSPEC;\n"
    "parameters are called powerlaw.norm, or nH where only one component has it.\n"
    "Every command ends with a verdict. Exit status 0: usable, 2: written but not to be trusted, 1: error.";

enum { FIT, STEPPAR, NESTED, SAMPLE, FAKEIT, TRAIN, INFER, JUDGE, COMPARE }; /* from INFER on with a network */
static const char *const commands[] = {"fit",   "steppar", "nested", "sample",  "fakeit",
                                       "train", "infer",   "judge",  "compare", NULL};

static const char usage[] = "fit_xray COMMAND [options] FILE...";

/* Loads what the command needs, and does it. */
/* The ranks of MPI beside the first: likelihoods for the samplers. */
static int serve(session *s, int command) {
    need_prior(s);
    share(s, command == SAMPLE ? posteriors_here : likelihoods_here);
    return farm_serve(&s->others) != FARM_OK;
}

static int run_command(session *s, int command, char **files, int n) {
    xray_binning given = binning_of(s->opt);
    char err[ERROR_SIZE];
    int kind = -1;
    s->by_network = command >= TRAIN;
    if (command >= INFER) {
        load_net(s, &given);
    }
    load_absorption(s);
    load_model(s);
    if (command == FAKEIT) {
        if (n != 1) {
            fail("fit_xray fakeit: the name of the new spectrum is needed");
        }
        return command_fakeit(s, files[0]);
    }
    if (command == TRAIN && (kind = choice_index("ann|cnn|gru|mlp", s->opt->net ? s->opt->net : "mlp")) < 0) {
        fail("fit_xray train: --net '%.60s' is not one of ann, cnn, gru, mlp", s->opt->net);
    }
    if (n == 0 && (command == TRAIN || command == JUDGE)) {
        load_blank(s, &given);
    } else {
        load_data(s, &given, files, n);
    }
    load_problem(s);
    load_band(s);
    if (command >= INFER) {
        check_net(s);
    }
    if (farm_rank() > 0) {
        return serve(s, command);
    }
    if (command != TRAIN && out_folder(s->opt->out, err)) {
        fail("%s", err);
    }
    switch (command) {
    case FIT: return command_fit(s);
    case STEPPAR: return command_steppar(s);
    case NESTED: return command_nested(s);
    case SAMPLE: return command_sample(s);
    case TRAIN: return command_train(s, kind);
    case INFER: return command_infer(s);
    case JUDGE: return command_judge(s);
    default: return command_compare(s);
    }
}

/* clang-format off */
static options opt = {.out = "fit_xray_out", .every = 5, .starts = 20, .simulations = 200, .live_points = 400,
               .walkers = 40, .steps = 20000, .draws = 10000, .exposure = 1000, .resample = 1, .n = 10000,
               .components = 4, .evaluations = 10000, .test = 2000, .dropout = (double)NAN, .seed = 1};
#define WORD(n, m, v, h) {.name = n, .text = &opt.m, .value = v, .help = h}
#define WHOLE(n, m, lo, hi, h) {.name = n, .integer = &opt.m, .min = lo, .max = hi, .value = "N", .help = h}
#define REAL(n, m, lo, hi, v, h) {.name = n, .real = &opt.m, .min = lo, .max = hi, .value = v, .help = h}
#define CHOICE(n, m, v, h) {.name = n, .choice = &opt.m, .value = v, .help = h}
#define SWITCH(n, m, h) {.name = n, .flag = &opt.m, .help = h}
#define LIST(n, m, v, h) {.name = n, .list = &opt.m, .value = v, .help = h}
static const option_row rows[] = {
    WORD("model", model, "EXPR", "such as 'tbabs*(powerlaw+bbodyrad)'"),
    WORD("prior", prior, "FILE", "lines name,kind,a,b; for fit: the ranges"),
    LIST("fix", fix, "NAME=VALUE", "hold a parameter; may be repeated"),
    WORD("background-model", background_model, "EXPR", "fit background spectra by this, instead of W"),
    LIST("steppar", steppar, "NAME=LO:HI:N", "of steppar: one axis; given twice: contours"),
    WORD("points", points, "FILE", "flux points (a table as fit_sed's), fitted with the spectra"),
    WORD("ssc-net", ssc_net, "FILE", "network of train_surrogate for ssc, instead of the solver"),
    LIST("free", free, "NAME", "fit a redshift, a constant, ... that is held unless freed"),
    LIST("untie", untie, "NAME", "its own value for each spectrum: NAME@2, NAME@3, ..."),
    CHOICE("stat", statistic, "cstat|wstat|chi2", "statistic; cstat is W where there is a background"),
    REAL("e-min", e_min, 0, 1e15, "KEV", "lowest energy; 0 and 0: all"),
    REAL("e-max", e_max, 0, 1e15, "KEV", "highest energy"),
    CHOICE("group", group, "file|none|every|min|optimal", "how channels are binned"),
    WHOLE("every", every, 1, 100000, "channels a bin, for --group every"),
    WHOLE("min-counts", min_counts, 0, 1e9, "least counts a bin, for min and optimal"),
    SWITCH("keep-bad", keep_bad, "use channels whose QUALITY is not 0"),
    REAL("systematic", systematic, 0, 1, "F", "error, a fraction of the counts, for chi2"),
    LIST("range", range, "LO:HI", "keV, instead of both; repeated: of each spectrum"),
    LIST("rmf", rmf, "FILE", "response, instead of the spectrum's; repeated: of each spectrum"),
    LIST("response", rmf, "FILE", "the same as --rmf"),
    LIST("arf", arf, "FILE", "effective area; none: none; may be repeated"),
    LIST("background", background, "FILE", "background spectrum; none: none; may be repeated"),
    CHOICE("abundance", abundance, "wilm|angr", "of tbabs"),
    WORD("absorption", absorption, "FILE", "FITS table of cross-sections for tbabs"),
    WORD("band", band, "LO,HI", "keV, for fluxes; else the range of the data"),
    WHOLE("starts", starts, 1, 100000, "fits from random places"),
    WHOLE("simulations", simulations, 0, 1e6, "for the goodness of fit"),
    REAL("exposure", exposure, 1e-6, 1e12, "S", "of simulated spectra [s]"),
    WHOLE("walkers", walkers, 4, 100000, "of sample"),
    WHOLE("steps", steps, 100, 1e8, "of sample, at most; its burn-in is found from the chain"),
    WHOLE("draws", draws, 100, 1e7, "posterior draws to write"),
    WHOLE("live-points", live_points, 20, 1e6, "of nested"),
    REAL("min-ess", min_ess, 0, 1e8, "N", "of nested and sample: effective samples wanted; 0: as nested goes, 1000 of sample"),
    WORD("net", net, "FILE", "network; train: ann, cnn, gru (dropout) or mlp (mixture)"),
    WHOLE("n", n, 10, 1e8, "simulated spectra; train: 60 % train, 20 % validate, 20 % test"),
    WHOLE("test", test, 10, 1e6, "train: of the test spectra, at most so many are judged"),
    WHOLE("nested", judge_nested, 0, 1e6, "judge: sample so many of the spectra, to check the others' means"),
    WORD("train-on", train_on, "FILE", "FITS table of simulations, THETA and COUNTS: the last fifth tests"),
    WORD("start", start, "FILE", "train: begin with this network; with --train-on: adjust it to those spectra"),
    REAL("dropout", dropout, 0, 0.95, "P", "rate; 0.1, mlp: 0"),
    WHOLE("units", units, 0, 4096, "of each layer; 0: 100, mlp: 256"),
    WHOLE("layers", depth, 0, 16, "0: 4"),
    WHOLE("components", components, 1, XRAY_MAX_K, "of mlp's mixture"),
    WHOLE("epochs", epochs, 0, 100000, "at most; 0: 5000, mlp: 60"),
    REAL("minutes", minutes, 0, 1e6, "M", "train: stop after that time; 0: do all epochs"),
    WORD("checkpoint", checkpoint, "FILE", "train: written every minute; where it exists, training goes on"),
    WHOLE("batch", batch, 0, 100000, "0: 32, mlp: 128"),
    REAL("rate", rate, 0, 1, "R", "learning rate; 0: 1e-4, mlp: 1e-3"),
    SWITCH("resample", resample, "correct the network's draws by the likelihood"),
    WHOLE("evaluations", evaluations, 3000, 1e6, "likelihoods for that; fewer with 2,000 effective samples"),
    WHOLE("threads", threads, 0, MAX_THREADS, "0: all cores"),
    {.name = "seed", .natural = &opt.seed, .value = "S", .help = "same seed, same results"},
    SWITCH("quiet", quiet, "no progress bar"),
    WORD("out", out, "DIR", "folder for tables, draws and pictures; train: the network's FILE"),
    {0}};
/* clang-format on */

int main(int argc, char **argv) {
    static session s;
    int command = 0;
    wait_passively(); /* starts the program again: before MPI */
    if (farm_begin(&argc, &argv)) {
        fail("fit_xray: %s", farm_strerror(FARM_NO_MPI));
    }
    if (farm_hush()) {
        return 1;
    }
    s.opt = &opt;
    s.rows = rows;
    s.start = seconds_now();
    s.command = argc > 1 ? argv[1] : "--help";
    while (commands[command] && strcmp(commands[command], s.command))
        command++;
    if (!commands[command]) {
        if (strcmp(s.command, "--help") && strcmp(s.command, "-h")) {
            fail("fit_xray: '%.60s' is no command (fit, steppar, nested, sample, fakeit, train, infer, judge, compare; "
                 "see "
                 "--help)",
                 s.command);
        }
        options_help(stdout, rows, usage, about);
        return 0;
    }
    int first = options_parse(argc - 1, argv + 1, rows, usage, about);
    option_needs(argc, argv, "--exposure", command == FAKEIT || (command >= TRAIN && command != INFER),
                 "simulated spectra: a spectrum's own stands in its file");
    if (farm_ranks() > 1 && command != NESTED && command != SAMPLE) {
        fail("fit_xray %s: only nested and sample share their work among ranks of MPI", s.command);
    }
    int status = run_command(&s, command, argv + 1 + first, argc - 1 - first);
    farm_dismiss();
    close_session(&s);
    farm_end();
    return status;
}
