/* options.h: what fit_sed can be asked. One table gives parsing, --help, and the settings in run.json. Public domain or
   MIT, see LICENSE. */
#ifndef FIT_SED_OPTIONS_H
#define FIT_SED_OPTIONS_H

enum { MOVES_AUTO, MOVES_SURROGATE, MOVES_STRETCH, MOVES_DE, MOVES_MIXTURE };
enum { SAMPLER_ENSEMBLE, SAMPLER_NESTED, SAMPLER_NUTS, SAMPLER_IMPORTANCE };
enum { OUTSIDE_REFUSE, OUTSIDE_SOLVE };
enum { RADIO_AUTO, RADIO_FIT, RADIO_LIMIT, RADIO_DROP };
enum { ELECTRONS_POWER, ELECTRONS_BROKEN, ELECTRONS_PARABOLA, ELECTRONS_CUTOFF };
enum { CHOOSE_FOR_ME = -1 }; /* of a flag: as the rest of the options suggests */

typedef struct options {
    const char *input; /* the table */
    /* data */
    double redshift, confidence, error_floor, nu_min, nu_max, average;
    int frame, radio, check_table;
    const char *columns, *source, *ebl;
    option_list skip;
    /* model */
    int grid, ssa, pairs, systematic_scatter, scatter, electrons, escape;
    unsigned scatters;             /* set of groups that have a scatter of their own; bit 0: the common one */
    int fields, shines, isotropic; /* sets of AROUND_...: from field and thermal */
    double t_var, equipartition;
    int protons;
    long neutrinos; /* seen; -1: not asked */
    double exposure;
    const char *area;
    option_list fix, tie, free, field, thermal;
    const char *prior;
    /* network */
    const char *model;
    int outside, model_error, reweigh, device;
    /* sampling */
    int sampler, guide, moves, resume, quiet;
    long walkers, steps, burn, live, sweeps, calls, threads, draws, calibrate;
    double min_ess, evidence_error, time_limit;
    uint64_t seed;
    /* results */
    const char *out, *compare, *catalog;
} options;

enum { OPTION_ROWS = 64 };

static const options options_default = {.systematic_scatter = 1,
                                        .guide = 1,
                                        .scatters = 1,
                                        .ssa = CHOOSE_FOR_ME,
                                        .reweigh = CHOOSE_FOR_ME,
                                        .neutrinos = -1,
                                        .check_table = 1,
                                        .ebl = "auto",
                                        .walkers = 48,
                                        .draws = 20000,
                                        .live = 400,
                                        .seed = 1,
                                        .confidence = 0.95,
                                        .out = "fit_sed_out"};

static int options_add(option_row *rows, int n, const option_row *more, int count) {
    memcpy(rows + n, more, (size_t)count * sizeof *more);
    return n + count;
}

#define ROWS(list) list, (int)(sizeof list / sizeof *list)

static int options_data(option_row *rows, int n, options *o) {
    const option_row list[] = {
        {.name = "redshift",
         .real = &o->redshift,
         .min = 0,
         .max = 10,
         .value = "Z",
         .help = "of the source; 0: as the table says"},
        {.name = "columns",
         .text = &o->columns,
         .value = "LIST",
         .help = "what the columns are: nu_Hz,nuFnu_erg_cm2_s,err,_,instrument"},
        {.name = "source",
         .text = &o->source,
         .value = "NAME",
         .help = "take the lines of this source only (column source)"},
        {.name = "frame",
         .choice = &o->frame,
         .value = "observer|source",
         .help = "of the table's frequencies and luminosities"},
        {.name = "nu-min",
         .real = &o->nu_min,
         .min = 0,
         .max = 1e40,
         .value = "HZ",
         .help = "leave lower frequencies out"},
        {.name = "nu-max",
         .real = &o->nu_max,
         .min = 0,
         .max = 1e40,
         .value = "HZ",
         .help = "leave higher frequencies out"},
        {.name = "skip", .list = &o->skip, .value = "INSTRUMENT", .help = "leave its points out; may be repeated"},
        {.name = "radio",
         .choice = &o->radio,
         .value = "auto|fit|limit|drop",
         .help = "points below 1e12 Hz, which the larger jet may give; auto: fit them, with --ssa"},
        {.name = "error-floor",
         .real = &o->error_floor,
         .min = 0,
         .max = 2,
         .value = "DEX",
         .help = "smaller, zero and missing errors become this (0.04 is 10 %)"},
        {.name = "average",
         .real = &o->average,
         .min = 0,
         .max = 2,
         .value = "DEX",
         .help = "of many epochs: detections in each DEX of frequency become their median, with half of their 68 % as "
                 "error; limits among them are left out; 0: not"},
        {.name = "confidence",
         .real = &o->confidence,
         .min = 0.5001,
         .max = 0.99999,
         .value = "C",
         .help = "one-sided, of upper limits without their own"},
        {.name = "check-table",
         .flag = &o->check_table,
         .help = "look for logarithms, wrong units and impossible errors"},
        {.name = "ebl",
         .text = &o->ebl,
         .value = "NAME|FILE|none",
         .help = "optical depths of the extragalactic background light: dominguez2011, saldana2021, or a table "
                 "(ebl.h); auto: the first, where points lie above 100 GeV"}};
    return options_add(rows, n, ROWS(list));
}

static int options_model(option_row *rows, int n, options *o) {
    const option_row list[] = {
        {.name = "grid", .choice = &o->grid, .value = "converged|athena", .help = "energy grid of the solver"},
        {.name = "ssa",
         .flag = &o->ssa,
         .help = "synchrotron self-absorption; by default where points lie below 1e12 Hz"},
        {.name = "gg", .flag = &o->pairs, .help = "photon-photon absorption and pair injection"},
        {.name = "electrons",
         .choice = &o->electrons,
         .value = "power|broken|logparabola|cutoff",
         .help = "shape of the injection: adds log_gamma_break, p2, curvature"},
        {.name = "field",
         .list = &o->field,
         .value = "blr,lines,torus,disc,cmb,grey",
         .help = "photons from outside that the blob scatters: Lyman alpha or 25 broad lines, dusty torus, disc, CMB, "
                 "each seen from the distance and with the Lorentz factor of the blob, which also absorb its gamma "
                 "rays; a grey body in the blob's frame"},
        {.name = "thermal",
         .list = &o->thermal,
         .value = "disc,torus,host",
         .help = "what shines beside the blob: accretion disc, dusty torus, a giant elliptical galaxy"},
        {.name = "isotropic-field",
         .flag = &o->isotropic,
         .help = "scatter those of --field as if isotropic in the blob's frame (bml_ssc.h, 20)"},
        {.name = "photon-escape",
         .choice = &o->escape,
         .value = "rate|sphere",
         .help = "c/R, as ATHEvA and LeHaMoC, or the mean path of a sphere, as agnpy and JetSeT: 0.12 dex in SSC"},
        {.name = "t-var",
         .real = &o->t_var,
         .min = 0,
         .max = 1e12,
         .value = "S",
         .help = "seconds: the source varies as fast, so that R (1 + z)/(c delta) is no longer; 0: not known"},
        {.name = "equipartition",
         .real = &o->equipartition,
         .min = 0,
         .max = 100,
         .value = "DEX",
         .help = "a Gaussian prior of this width in log10 of U_e/U_B; 0: none"},
        {.name = "protons",
         .flag = &o->protons,
         .help = "protons beside the electrons: adds log_l_p, log_gamma_p_max, p_p (2 unless --free); with pairs"},
        {.name = "neutrinos",
         .integer = &o->neutrinos,
         .min = 0,
         .max = 1e6,
         .value = "N",
         .help = "muon-neutrino events that were seen, a Poisson term"},
        {.name = "area",
         .text = &o->area,
         .value = "FILE",
         .help = "effective area for them: lines log10 E [GeV], cm^2"},
        {.name = "exposure", .real = &o->exposure, .min = 0, .max = 1e12, .value = "S", .help = "seconds, for them"},
        {.name = "fix", .list = &o->fix, .value = "NAME=VALUE", .help = "hold a parameter; may be repeated"},
        {.name = "tie",
         .list = &o->tie,
         .value = "NAME=A*OTHER+B",
         .help = "a parameter follows another, log_R=log_distance-1; may be repeated"},
        {.name = "free",
         .list = &o->free,
         .value = "NAME",
         .help = "fit a parameter that has a usual value or tie (list above); may be repeated"},
        {.name = "prior", .text = &o->prior, .value = "FILE", .help = "lines name,kind,a,b: uniform, normal, ..."},
        {.name = "systematic-scatter",
         .flag = &o->systematic_scatter,
         .help = "fit ln f, a scatter in dex beyond the errors"},
        {.name = "scatter",
         .choice = &o->scatter,
         .value = "common|instrument",
         .help = "one ln f, or one for each instrument of three detections or more: ln_f_NAME"},
        {.name = "model",
         .text = &o->model,
         .value = "FILE",
         .help = "network of train_surrogate in the solver's place"},
        {.name = "outside",
         .choice = &o->outside,
         .value = "refuse|solve",
         .help = "where the model was not trained: probability 0, or the solver"},
        {.name = "reweigh",
         .flag = &o->reweigh,
         .help = "with --model: the solver weighs the network's draws, and the posterior is its own"},
        {.name = "model-error", .flag = &o->model_error, .help = "add the model's own error to the data's"},
        DEVICE_OPTION(&o->device)};
    return options_add(rows, n, ROWS(list));
}

static int options_sampling(option_row *rows, int n, options *o) {
    const option_row list[] = {
        {.name = "sampler",
         .choice = &o->sampler,
         .value = "ensemble|nested|nuts|importance",
         .help =
             "nested and importance give the evidence too; nuts needs --model, and is not for thin bent posteriors, as "
             "those of all eight parameters are: 1 effective sample a second"},
        {.name = "guide",
         .flag = &o->guide,
         .help =
             "importance: a network that learns from this run's answers says where to draw; a source that is refused "
             "with it may pass without"},
        {.name = "moves",
         .choice = &o->moves,
         .value = "auto|surrogate|stretch|de|mixture",
         .help = "proposals of the ensemble; auto: by a polynomial that learns from the solver (surrogate); with "
                 "--model, which costs no more than that, mixture"},
        {.name = "walkers",
         .integer = &o->walkers,
         .min = 2,
         .max = 100000,
         .value = "N",
         .help = "of the ensemble: even, at least twice the parameters"},
        {.name = "steps",
         .integer = &o->steps,
         .min = 10,
         .max = 1e8,
         .value = "N",
         .help =
             "of the ensemble, at most; ends earlier when --min-ess is reached and its verdict is content; 0: 6000, "
             "with --model 20000"},
        {.name = "burn",
         .integer = &o->burn,
         .min = 0,
         .max = 1e8,
         .value = "N",
         .help = "of the ensemble: steps thrown away first, after the climb; 0: found from the chain"},
        {.name = "min-ess",
         .real = &o->min_ess,
         .min = 0,
         .max = 1e9,
         .value = "N",
         .help = "effective samples wanted of every parameter; 0: 400, of importance sampling 5000"},
        {.name = "draws",
         .integer = &o->draws,
         .min = 100,
         .max = 1e8,
         .value = "N",
         .help = "of each NUTS chain, at most; ends earlier when converged"},
        {.name = "live",
         .integer = &o->live,
         .min = 2,
         .max = 1000000,
         .value = "N",
         .help = "live points of nested sampling"},
        {.name = "sweeps",
         .integer = &o->sweeps,
         .min = 0,
         .max = 1000,
         .value = "N",
         .help = "slices of nested sampling for each new point and parameter; 0: until its start is forgotten"},
        {.name = "evidence-error",
         .real = &o->evidence_error,
         .min = 0,
         .max = 1e9,
         .value = "E",
         .help = "of ln Z, by more live points; 0: as it comes"},
        {.name = "calls",
         .integer = &o->calls,
         .min = 0,
         .max = 1e12,
         .value = "N",
         .help = "of the likelihood, nested sampling, at most; 0: no limit"},
        {.name = "time-limit",
         .real = &o->time_limit,
         .min = 0,
         .max = 1e9,
         .value = "S",
         .help = "seconds; then stop as if interrupted, with a state for --resume; 0: none"},
        {.name = "threads",
         .integer = &o->threads,
         .min = 0,
         .max = 1024,
         .value = "N",
         .help = "0: all that this process may use"},
        {.name = "seed", .natural = &o->seed, .value = "S", .help = "same seed, same results"},
        {.name = "resume", .flag = &o->resume, .help = "go on from what a run of the same options left in --out"},
        {.name = "calibrate",
         .integer = &o->calibrate,
         .min = 20,
         .max = 100000,
         .value = "N",
         .help = "instead: fit N simulated tables like this one, and count the truths"}};
    return options_add(rows, n, ROWS(list));
}

static int options_results(option_row *rows, int n, options *o) {
    const option_row list[] = {
        {.name = "out", .text = &o->out, .value = "DIR", .help = "folder for tables, chains and pictures"},
        {.name = "compare", .text = &o->compare, .value = "DIR", .help = "results of another fit, laid over this one"},
        {.name = "catalog",
         .text = &o->catalog,
         .value = "LIST",
         .help = "instead of one table: lines name,table,redshift,options; a folder each in --out, and catalog.csv"},
        {.name = "quiet", .flag = &o->quiet, .help = "no progress bar"}};
    return options_add(rows, n, ROWS(list));
}

static void options_table(option_row *rows, options *o) {
    int n = options_data(rows, 0, o);
    n = options_model(rows, n, o);
    n = options_sampling(rows, n, o);
    n = options_results(rows, n, o);
    memset(&rows[n], 0, sizeof rows[n]);
}

/* The words of --field and --thermal. */
static void options_around(options *o) {
    char err[ERROR_SIZE];
    o->fields = 0;
    o->shines = 0;
    for (int i = 0; i < o->field.n; i++)
        if (surroundings_read(&o->fields, o->field.item[i], AROUND_SCATTERED, err)) fail("--field: %s", err);
    for (int i = 0; i < o->thermal.n; i++)
        if (surroundings_read(&o->shines, o->thermal.item[i], AROUND_SHINING, err)) fail("--thermal: %s", err);
}

/* What goes together. */
static void options_check(options *o) {
    options_around(o);
    if (o->steps == 0) o->steps = o->model ? 20000 : 6000;
    if (o->min_ess == 0) o->min_ess = o->sampler == SAMPLER_IMPORTANCE ? 5000 : 400;
    if (o->moves == MOVES_AUTO) o->moves = o->model ? MOVES_MIXTURE : MOVES_SURROGATE;
    if (o->sampler == SAMPLER_NUTS && !o->model) fail("fit_sed: --sampler nuts needs gradients: give --model");
    if (o->reweigh == 1 && !o->model) fail("fit_sed: --reweigh needs --model");
    if (o->device == DEVICE_CUDA && o->sampler == SAMPLER_NUTS)
        fail("fit_sed: --sampler nuts takes gradients, which the CPU gives: not with --device cuda");
    const int plain = o->electrons == ELECTRONS_POWER && !o->fields && !o->shines && !o->escape;
    if (o->scatter && !o->systematic_scatter)
        fail("fit_sed: --scatter instrument goes without --no-systematic-scatter");
    if (o->model && !plain)
        fail("fit_sed: networks know power laws without fields: --model goes without --electrons, --field, --thermal "
             "and --photon-escape");
    if (o->equipartition > 0 && (o->model || o->device == DEVICE_CUDA))
        fail("fit_sed: --equipartition asks the solver on the CPU: not with --model or --device cuda");
    if (o->device == DEVICE_CUDA && !plain) fail("fit_sed: --device cuda solves power laws without fields only");
    if (o->nu_max > 0 && !(o->nu_max > o->nu_min))
        fail("fit_sed: --nu-max %g is not above --nu-min %g", o->nu_max, o->nu_min);
}
#endif
