/* classify_blazar: spectral energy distributions in, blazar or not out.

     classify_blazar seds.csv --out blazar          a table of points: source, frequency, flux, error, limit, label
     zcat agn_seds.csv.gz | classify_blazar - --radio-detected --leave-out other_gamma     a row for each source
     classify_blazar --simulate 14007               a world of its own

   Judged sources are called blazars above the threshold of a stated purity (--purity 0.9) or completeness, which is
   learned on the folds' test rows and tried with thresholds from the other folds; the program says how many of those
   called are expected to be none. It ends with a verdict (verdict.txt): exit status 0, or 2 when a line of it is red.

   Compares classifiers on the same folds: the radio flux alone, a forest and a stack on a few bands, and networks on
   the whole distribution: a convolutional LSTM after Fraga et al. 2021 (MNRAS 505, 1268), a dense net of a hundredth
   of its cost, and a net that takes the points themselves. Writes evaluation.csv (scores per net), folds.csv,
   curves.csv, scores.csv (per source), importance.csv, predictions.csv (sources without a label), pictures, run.json,
   verdict.txt.

   A long table has the columns source; nu_Hz, log10_nu_Hz, energy_eV or energy_keV; nuFnu_erg_cm2_s or log10_nuFnu;
   and, where there, err (of the flux, linear) or err_dex; is_ul or upper_limit (1: upper limit); label. A wide one
   has name, label, and columns nufnu_...: those of the SDSS quasar table (1p4GHz, z, i, r, g, u, and fx_0p1_2p4keV)
   or nufnu_1.4e9Hz. Labels are blazar, nonblazar, or blank: to be judged. Upper limits serve the dense net and the
   net on points; to the others a band with a limit is a band without a value.

   The simulator is there because no table of whole SEDs is public. It shows what a net can learn in principle and that
   it learns; it says nothing on how well real blazars are found. Never mix its numbers with those on real data.

   Here: the options, what to work on, main. The rest, in the order of the work: blazar_seds.h (reading),
   blazar_simulator.h, blazar_inputs.h (grids, inputs of the nets), blazar_bands.h (forest and stack), blazar_nets.h,
   blazar_judge.h (folds, scores), blazar_decide.h (thresholds), blazar_importance.h, blazar_report.h (tables, verdict,
   pictures). */
#include "common.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#define BML_CLASSIFY_IMPLEMENTATION
#include "bml_classify.h"
#include "device.h"
#include "blazar_simulator.h"
#include "blazar_report.h"

/* ==== what to work on ============================================================================================= */

/* Adds the sources of --judge, without labels; with --thin about forty points of each, as surveys would have. */
static void add_judged(sed_set *set, const settings *s) {
    sed_set other;
    memset(&other, 0, sizeof other);
    read_seds(&other, s->judge, s);
    bml_classify_rng r;
    bml_classify_rng_init(&r, s->seed, (uint64_t)1 << 43);
    for (int i = 0; i < other.n; i++) {
        const sed *from = &other.sed[i];
        add_sed(set, from->name, -1);
        for (int k = 0; k < from->n; k++) {
            const point *p = &other.point[from->first + (size_t)k];
            if (s->thin && uniform(&r, 0, 1) * from->n > 40) {
                continue;
            }
            add_point(set, p->nu, p->flux, p->error, p->limit);
        }
    }
    free_set(&other);
}

static void shuffle_labels(sed_set *set, uint64_t seed) {
    bml_classify_rng r;
    int *row = zeroed(set->n, sizeof *row);
    int n = 0;
    bml_classify_rng_init(&r, seed, (uint64_t)1 << 44);
    for (int i = 0; i < set->n; i++) {
        if (set->sed[i].label >= 0) {
            row[n++] = i;
        }
    }
    for (int i = n - 1; i > 0; i--) {
        int j = (int)uniform(&r, 0, i + 1);
        int t = set->sed[row[i]].label;
        set->sed[row[i]].label = set->sed[row[j]].label;
        set->sed[row[j]].label = t;
    }
    free(row);
}

/* The sources to work on; prints what they are. Returns 1 for a set of a few bands only. */
static int load(sed_set *set, const settings *s) {
    const char *from = "simulated";
    if (!s->simulate) {
        from = strcmp(s->input, "-") ? s->input : "standard input";
    }
    int n[3] = {0, 0, 0};
    int few = 1;
    memset(set, 0, sizeof *set);
    if (s->simulate) {
        simulate(set, s);
    } else {
        read_seds(set, s->input, s);
    }
    if (s->labels) {
        read_labels(set, s);
    }
    for (int k = 0; k < s->leave_out.n; k++)
        if (!set->left_out[k]) {
            fail("--leave-out: no source of %s has the label '%s'", from, s->leave_out.item[k]);
        }
    if (s->judge) {
        add_judged(set, s);
    }
    filter(set, s);
    if (s->shuffle) {
        shuffle_labels(set, s->seed);
    }
    for (int i = 0; i < set->n; i++) {
        const sed *e = &set->sed[i];
        n[e->label < 0 ? 2 : e->label]++;
        for (int k = 0; k < e->n && few; k++) {
            double nu = set->point[e->first + (size_t)k].nu;
            int b;
            for (b = 0; b < N_WIDE && fabs(nu - band_nu(b)) > 1e-3; b++) {
                continue;
            }
            few = b < N_WIDE;
        }
    }
    printf("%s: %d blazars, %d others, %d to be judged; %zu points, %.1f a source; %ld upper limits flagged out, %ld "
           "values not positive\n",
           from, n[1], n[0], n[2], set->n_points, (double)set->n_points / fmax(set->n, 1), set->limits, set->dropped);
    if (!n[0] || !n[1]) {
        fail("%s: all %d labelled sources are of one class; needs blazar and nonblazar", from, n[0] + n[1]);
    }
    if (!s->sparse && (n[0] < s->folds || n[1] < s->folds)) {
        fail("%s: %d blazars and %d others are too few for %ld folds", from, n[1], n[0], s->folds);
    }
    return few;
}

/* Which nets: the names given, else what suits the data. */
static void choose_nets(settings *s, int few) {
    char words[256];
    const char *wanted = few ? "radio,forest,stack" : "radio,forest,small,points";
    if (!s->radio) {
        wanted = few ? "forest,stack" : "forest,small,points";
    }
    snprintf(words, sizeof words, "%s", s->nets ? s->nets : wanted);
    char *next;
    for (char *word = words; word; word = next) {
        next = strchr(word, ',');
        if (next) {
            *next++ = 0;
        }
        int k = choice_index(nets, word);
        if (k < 0) {
            fail("--nets: '%.60s' is none of %s", word, nets);
        }
        s->wanted[k] = 1;
    }
    if (s->wanted[RADIO] && !s->radio) {
        fail("--nets radio needs the radio points that --no-radio takes away");
    }
}

/* ==== main ======================================================================================================== */

/* clang-format off */
static settings opt = {.out = "blazar", .gamma = 1, .radio = 1, .folds = 10, .copies = 1, .bins = 2745,
                          .radio_gap = 0.76, .veil = 0.8, .purity = 0.9, .seed = 1};
#define WORD(n, m, v, h) {.name = n, .text = &opt.m, .value = v, .help = h}
#define WHOLE(n, m, lo, hi, h) {.name = n, .integer = &opt.m, .min = lo, .max = hi, .value = "N", .help = h}
#define SHARE(n, m, h) {.name = n, .real = &opt.m, .min = 0, .max = 1, .value = "SHARE", .help = h}
#define DEX(n, m, h) {.name = n, .real = &opt.m, .min = -5, .max = 5, .value = "DEX", .help = h}
#define SWITCH(n, m, h) {.name = n, .flag = &opt.m, .help = h}
static const option_row rows[] = {
    WORD("nets", nets, "A,B,...", "of radio, forest, stack, small, points, published"),
    WORD("labels", labels, "FILE", "CSV with source and label, for a table without"),
    {.name = "leave-out", .list = &opt.leave_out, .value = "LABEL",
     .help = "leave sources of this label out (may be repeated)"},
    WORD("judge", judge, "FILE", "classify the sources of this table too; its labels are not used"),
    SHARE("purity", purity, "of those called blazars, the share that is to be one"),
    SHARE("completeness", completeness, "call this share of the blazars instead, as pure as that allows"),
    SWITCH("thin", thin, "keep about forty points of each source of --judge"),
    SWITCH("gamma", gamma, "use points above 10^20 Hz"),
    SWITCH("radio", radio, "use points below 10^12 Hz"),
    SWITCH("radio-detected", radio_detected, "only sources detected at 1.4 GHz"),
    {.name = "value", .choice = &opt.value, .value = "highest|mean|lowest",
     .help = "flux of a bin with several points"},
    SWITCH("noise", noise, "networks: draw training fluxes anew from their errors in each epoch"),
    WHOLE("copies", copies, 1, 100, "of each network, with other seeds; their probabilities are averaged"),
    WHOLE("bins", bins, 0, 20000, "of the published net, 10^7 to 10^27.6 Hz; 0: every frequency of the data"),
    WHOLE("folds", folds, 2, MAX_FOLDS, "of the cross-validation"),
    WHOLE("run-folds", run_folds, 0, MAX_FOLDS, "run only the first N; 0: all"),
    SWITCH("sparse", sparse, "test on the tenth with the fewest points instead"),
    WHOLE("epochs", epochs, 0, 10000, "of networks; 0: published 20, small 40, points 60"),
    WHOLE("simulate", simulate, 0, 200000, "a simulated sample of N sources instead of a table"),
    DEX("radio-gap", radio_gap, "simulator: see the source; tuned once, then frozen"),
    DEX("veil", veil, "simulator: see the source; tuned once, then frozen"),
    SWITCH("write-seds", write_seds, "write seds.csv, the points in use"),
    SWITCH("shuffle-labels", shuffle, "check: AUC must be 0.5"),
    {.name = "seed", .natural = &opt.seed, .value = "S", .help = "of simulation, folds and networks"},
    WHOLE("threads", threads, 0, 1024, "0: all cores; results do not depend on it"),
    WORD("out", out, "DIR", "folder for the results"),
    DEVICE_OPTION(&opt.device),
    SWITCH("quiet", quiet, "no progress bar"),
    {0}};
/* clang-format on */

static void read_options(settings *s, int argc, char **argv) {
    int first = options_parse(
        argc, argv, rows, "classify_blazar [options] TABLE",
        "Tells blazars from other AGN by their spectral energy distributions (CSV), with networks and forests.");
    if (argc - first != (s->simulate ? 0 : 1)) {
        fail("classify_blazar: needs one table, or --simulate N (see --help)");
    }
    if (!s->simulate) {
        s->input = argv[first];
    }
    option_needs(argc, argv, "--thin", s->judge != NULL, "--judge");
    option_needs(argc, argv, "--bins", s->nets && strstr(s->nets, "published"), "--nets published");
    option_needs(argc, argv, "--radio-gap", s->simulate > 0, "--simulate");
    option_needs(argc, argv, "--veil", s->simulate > 0, "--simulate");
    option_needs(argc, argv, "--run-folds", !s->sparse, "folds, not with --sparse");
    if (!(s->purity > 0) && !(s->completeness > 0)) {
        fail("--purity or --completeness must be above 0");
    }
    if (s->run_folds > s->folds) {
        fail("--run-folds %ld: there are %ld folds", s->run_folds, s->folds);
    }
    s->threads = threads_or_all(s->threads);
    if (s->device == DEVICE_CUDA && s->noise) {
        fail("--noise draws the fluxes of each epoch anew: not with --device cuda");
    }
    device_open(&s->card, s->device, "classify_blazar");
}

/* Everything that is found out, and what is thought of it. */
typedef struct findings {
    net_scores score[N_NETS];
    outcome *o;
    decision decision;
    judged judged;
    verdict verdict;
} findings;

static void find_out(findings *f, const world *w) {
    f->o = zeroed(1, sizeof *f->o);
    begin_outcome(f->o, w);
    cross_validate(f->o, w);
    for (int net = 0; net < N_NETS; net++) {
        if (w->s->wanted[net]) {
            evaluate(&f->score[net], f->o, net, w);
        }
    }
    decide(&f->decision, f->o, w);
    judge_sources(&f->judged, &f->decision, f->o, w);
    judge_training(&f->verdict, f->score, &f->decision, f->o, w);
    judge_threshold(&f->verdict, &f->decision, w);
    judge_judged(&f->verdict, &f->judged, &f->decision);
}

static void write_all(findings *f, const world *w, double start) {
    char err[ERROR_SIZE];
    int explained = f->o->kept_net == SMALL || f->o->kept_net == PUBLISHED;
    print_evaluation(f->score, f->o, w);
    print_decision(&f->decision, f->o, w);
    if (w->s->write_seds && write_seds(w->set, w->s, err)) {
        fail("%s", err);
    }
    if (write_evaluation(f->score, f->o, w, err) || write_curves(f->o, w, err)) {
        fail("%s", err);
    }
    if (write_predictions(&f->judged, &f->decision, f->o, w, err)) {
        fail("%s", err);
    }
    if (explained) {
        importance m;
        explain(&m, f->o, w);
        if (write_importance(&m, w, err)) {
            fail("%s", err);
        }
    }
    draw(w, explained);
    double seconds = seconds_now() - start;
    if (write_run(f->score, &f->decision, &f->judged, &f->verdict, w, rows, seconds, err)) {
        fail("%s", err);
    }
    if (verdict_write(&f->verdict, w->s->out, err)) {
        fail("%s", err);
    }
    verdict_print(stdout, &f->verdict);
    printf("results in %s, %.1f s\n", w->s->out, seconds);
}

int main(int argc, char **argv) {
    settings *s = &opt;
    char err[ERROR_SIZE];
    double start = seconds_now();
    read_options(s, argc, argv);
    if (out_folder(s->out, err)) {
        fail("%s", err);
    }
    sed_set set;
    choose_nets(s, load(&set, s));
    bml_classify_data table;
    make_table(&table, &set, s->value);
    world w;
    make_world(&w, s, &set, &table);
    printf("prepared in %.1f s\n", seconds_now() - start);
    findings *f = zeroed(1, sizeof *f);
    find_out(f, &w);
    write_all(f, &w, start);
    int status = verdict_status(&f->verdict);
    free_outcome(f->o);
    free_decision(&f->decision);
    free_judged(&f->judged);
    free(f);
    free_world(&w);
    free_table(&table);
    free_set(&set);
    device_close(&s->card);
    return status;
}
