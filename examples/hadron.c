/* hadron: a lepto-hadronic source: the photons and neutrinos that an observer sees of one zone with electrons and
   protons, and how much the numbers are worth.

   build/hadron --R 1e16 --B 0.14 --L-e 1e41 --gamma-max 1e5 --L-p 1e46 --gamma-p-max 1e6 --redshift 0.3365 --delta 28
                --out DIR
   build/hadron --R 1e16 --B 0.16 --L-e 1.5e42 --gamma-min 1e4 --gamma-max 6e4 --p 3 --L-p 3e46 --gamma-p-max 5e6
                --redshift 0.3365 --delta 24 --ebl dominguez2011 --out DIR     a source like TXS 0506+056: hadron.png of
                                                                               examples/pictures
   build/hadron ... --data fluxes.csv                                          with measured points in the picture
   build/hadron ... --area effective_area.csv --exposure 1.5e7 --seen 1       also the events that a telescope expects

   Writes photons.csv (nu, nu F_nu of all and by component), neutrinos.csv (E^2 dN/dE by flavour), protons.csv,
   hadron.png (or hadron.gp), verdict.txt, run.json. The effective area: lines log10 E [GeV], area [cm^2] for muon
   neutrinos. */
#include "common.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#define BML_HADRON_IMPLEMENTATION
#include "bml_hadron.h"
#include "ebl.h"
#include "hadron_area.h"
#include "hadron_ssc.h"
#include "sed.h"
#include "verdict.h"

enum { N_NU = 321 };
enum { N_E = 161 };
enum { PHOTON_COLUMNS = 6 };
enum { NEUTRINO_COLUMNS = 5 };

typedef struct settings {
    bml_ssc_source e;
    bml_hadron_source p;
    bml_ssc_observer see;
    bml_hadron_observer hear;
    double spacing;
    double exposure;
    long seen;
    const char *out;
    const char *ebl;
    const char *area;
    const char *data;
    sed_table points; /* of data */
    int cut_off;      /* gamma_max of both are those of exponential cut-offs */
    int flavours;
    int quiet;
} settings;

typedef struct telescope {
    hadron_area area;
    double events; /* expected */
} telescope;

typedef struct outcome {
    double photons[N_NU][PHOTON_COLUMNS];
    double neutrinos[N_E][NEUTRINO_COLUMNS];
    bml_ssc_balance e;
    bml_hadron_balance p;
    bml_ssc_derived shine;
    bml_hadron_derived protons;
    double top; /* frequency beyond which the table of the background light says nothing, and fluxes are 0; 0: none */
    int status;
    char why[BML_SSC_MESSAGE];
} outcome;

/* ==== the source ================================================================================================== */

/* Where the injected protons end. */
static double proton_end(const settings *set) {
    return set->cut_off ? set->p.gamma_break : set->p.gamma_max;
}

/* gamma_max becomes that of an exponential cut-off; e^-10 of it is left beyond ten of them. */
static void cut_off(settings *set) {
    set->e.injection = BML_SSC_CUTOFF;
    set->e.gamma_break = set->e.gamma_max;
    set->e.gamma_max *= 10;
    set->p.injection = BML_HADRON_CUTOFF;
    set->p.gamma_break = set->p.gamma_max;
    set->p.gamma_max *= 10;
}

/* How many of nu [N_NU] the table of the background light reaches; out->top: where it ends. */
static int reach_of_ebl(outcome *out, const settings *set, const double *nu) {
    const bml_ssc_ebl *ebl = set->see.ebl;
    int reach = N_NU;
    if (!ebl) {
        return reach;
    }
    double top = ebl->log10_nu[ebl->n_nu - 1];
    while (reach > 1 && log10(nu[reach - 1]) > top)
        reach--;
    out->top = reach < N_NU ? pow(10, top) : 0;
    return reach;
}

static void look_at_photons(outcome *out, const settings *set, const bml_ssc_blob *blob) {
    static const bml_ssc_component parts[] = {BML_SSC_TOTAL, BML_SSC_SYNCHROTRON, BML_SSC_COMPTON, BML_SSC_EXTERNAL,
                                              BML_SSC_EXCHANGED};
    double nu[N_NU];
    double nuFnu[N_NU];
    for (int i = 0; i < N_NU; i++) {
        nu[i] = pow(10, 8 + 0.0625 * i);
        out->photons[i][0] = nu[i];
    }
    const int reach = reach_of_ebl(out, set, nu);
    for (int c = 0; c < PHOTON_COLUMNS - 1; c++) {
        int status = bml_ssc_sed(nuFnu, nu, reach, blob, &set->see, parts[c]);
        if (status) {
            fail("hadron: %s", bml_ssc_strerror(status));
        }
        for (int i = 0; i < N_NU; i++)
            out->photons[i][1 + c] = i < reach ? nuFnu[i] : 0;
    }
}

static void look_at_neutrinos(outcome *out, const settings *set, const bml_hadron_blob *protons) {
    double flux[3][N_E];
    double log_E[N_E];
    for (int i = 0; i < N_E; i++)
        log_E[i] = -1 + 0.0875 * i;
    int status = bml_hadron_neutrinos(flux[0], log_E, N_E, protons, &set->hear);
    if (status) {
        fail("hadron: %s", bml_hadron_strerror(status));
    }
    for (int i = 0; i < N_E; i++) {
        double *row = out->neutrinos[i];
        row[0] = pow(10, log_E[i]);
        row[4] = 0;
        for (int a = 0; a < 3; a++) {
            row[1 + a] = flux[a][i];
            row[4] += flux[a][i];
        }
    }
}

static void look(outcome *out, const settings *set, const bml_ssc_blob *blob, const bml_hadron_blob *protons) {
    look_at_photons(out, set, blob);
    look_at_neutrinos(out, set, protons);
    bml_ssc_energy(&out->e, blob);
    bml_ssc_derive(&out->shine, blob, &set->see);
    bml_hadron_energy(&out->p, protons);
    bml_hadron_derive(&out->protons, protons);
}

static void write_protons(const settings *set, const bml_hadron_blob *protons) {
    enum { N = 121 };
    enum { LOSSES = 4 };
    enum { COLUMNS = 2 + LOSSES };
    static const int process[] = {BML_HADRON_PHOTOPION, BML_HADRON_PAIRS, BML_HADRON_GAS, BML_HADRON_SYNCHROTRON_LIGHT};
    static const char header[] = "gamma,gamma2_N_sigma_T_R,photopion_per_R_c,pairs,gas,synchrotron";
    double table[N][COLUMNS];
    char err[ERROR_SIZE];
    double log_gamma[N];
    double y[N];
    double rate[LOSSES][N];
    for (int i = 0; i < N; i++)
        log_gamma[i] = 0.1 * i;
    bml_hadron_protons(y, log_gamma, N, protons);
    for (int k = 0; k < LOSSES; k++)
        bml_hadron_losses(rate[k], log_gamma, N, protons, process[k]);
    int rows = 0;
    for (int i = 0; i < N; i++) {
        if (!(y[i] > -HUGE_VAL)) {
            continue;
        }
        double *row = table[rows];
        row[0] = pow(10, log_gamma[i]);
        row[1] = pow(10, y[i]);
        for (int k = 0; k < LOSSES; k++)
            row[2 + k] = rate[k][i];
        rows++;
    }
    if (csv_write(set->out, "protons.csv", header, table[0], rows, COLUMNS, err)) {
        fail("%s", err);
    }
}

/* ==== output ====================================================================================================== */

/* The measured points as two data blocks, detections and limits. */
static void draw_points(FILE *f, const sed_table *t) {
    for (int limits = 0; limits < 2; limits++) {
        fprintf(f, "$%s << END\n", limits ? "u" : "d");
        for (int i = 0; i < t->n; i++) {
            const bml_ssc_point *q = &t->point[i];
            if (q->upper_limit != limits) {
                continue;
            }
            double lo = q->nuFnu * pow(10, limits ? 0 : -q->sigma_lo);
            double hi = q->nuFnu * pow(10, limits ? 0 : q->sigma_hi);
            fprintf(f, "%.6g %.6g %.6g %.6g\n", q->nu, q->nuFnu, lo, hi);
        }
        fprintf(f, "END\n");
    }
}

/* The curves as two data blocks, photons and neutrinos, in the units of the photons. */
static void draw_curves(FILE *f, const outcome *r) {
    const double erg = 1.602176634e-3;      /* a GeV */
    const double hz = 2.417989242084918e23; /* of a GeV */
    fprintf(f, "$p << END\n");
    for (int i = 0; i < N_NU; i++)
        for (int c = 0; c < PHOTON_COLUMNS; c++)
            fprintf(f, "%.6g%c", r->photons[i][c], c + 1 < PHOTON_COLUMNS ? ' ' : '\n');
    fprintf(f, "END\n$n << END\n");
    for (int i = 0; i < N_E; i++) {
        const double *row = r->neutrinos[i];
        fprintf(f, "%.6g %.6g\n", row[0] * hz, row[4] * erg);
    }
    fprintf(f, "END\n");
}

static void draw(const outcome *r, const settings *set) {
    static const char *const names[] = {"photons", "synchrotron of e, pairs too", "Compton", "external Compton",
                                        "of protons and {/Symbol p}^0"};
    static out_file o;
    char err[ERROR_SIZE];
    double top = 0;
    for (int i = 0; i < N_NU; i++)
        top = fmax(top, r->photons[i][1]);
    if (plot_begin(&o, set->out, "hadron", 1200, 700, 14, err)) {
        fail("%s", err);
    }
    fprintf(o.f, "set logscale xy; set format '10^{%%T}'; set grid; set key outside right top samplen 2\n");
    fprintf(o.f, "set xlabel '{/Symbol n} [Hz]'; set ylabel '{/Symbol n}F_{/Symbol n} [erg cm^{-2} s^{-1}]'\n");
    fprintf(o.f, "set xrange [1e9:1e33]\nset yrange [%.3g:%.3g]\n", top * 1e-6, top * 10);
    draw_curves(o.f, r);
    if (set->points.n > 0) {
        draw_points(o.f, &set->points);
    }
    fprintf(o.f, "plot");
    for (int c = 0; c < PHOTON_COLUMNS - 1; c++) {
        if (c == 3) {
            continue; /* no fields from outside here */
        }
        const char *colour = plot_colours[c % 7];
        fprintf(o.f, "%s $p using 1:%d with lines ", c ? "," : "", c + 2);
        fprintf(o.f, "lw %d lc rgb '%s' title '%s'", c ? 1 : 3, colour, names[c]);
    }
    fprintf(o.f, ", $n using 1:2 with lines lw 3 dt 2 lc rgb '%s' title 'neutrinos, all flavours'", plot_colours[5]);
    if (set->points.n > 0) {
        fprintf(o.f, ", $d using 1:2:3:4 with yerrorbars pt 7 lc rgb 'black' title 'measured'");
        fprintf(o.f, ", $u using 1:2 with points pt 11 lc rgb '#888888' title 'upper limits'");
    }
    fprintf(o.f, "\n");
    int drawn = plot_end(&o, set->out, "hadron", err);
    if (drawn < 0) {
        fail("%s", err);
    }
    if (drawn > 0) {
        fprintf(stderr, "hadron: no gnuplot: the picture is left as %s/hadron.gp\n", set->out);
    }
}

/* Energy density of protons over that of the field. */
static double protons_over_field(const outcome *r) {
    return r->protons.U_p / fmax(r->shine.U_B, 1e-300);
}

/* What a referee would ask. */
static void judge(verdict *v, const outcome *r, const settings *set, const telescope *t) {
    if (r->status) {
        verdict_add(v, VERDICT_RED, "converged", r->status, "%s", r->why);
    } else {
        verdict_add(v, VERDICT_GREEN, "converged", 0, "Every step's photons, electrons and protons agree.");
    }
    double worst = fmax(fabs(r->e.residual), fabs(r->p.residual));
    verdict_add(v, verdict_colour(worst, 0.02, 0.1), "energy", worst,
                "This share of the energy is missing in the books of electrons, photons and protons.");
    double held = proton_end(set) / r->protons.gamma_max_B;
    verdict_add(v, verdict_colour(held, 1, 3), "confinement", held,
                "Largest gamma of protons over e B R/(m_p c^2): above 1 they do not fit into the source.");
    verdict_add(v, verdict_colour(r->protons.muon_cooling, 0.1, 1), "muon_cooling", r->protons.muon_cooling,
                "Loss over decay rate of muons at gamma_max: above 0.1 neutrino spectra are too hard at the top.");
    double pairs = 0.2 * 1836 * proton_end(set); /* gamma of the highest */
    double quantum = set->e.B / 4.414e13 * pairs;
    verdict_add(v, verdict_colour(quantum, 1, 100), "quantum", quantum,
                "gamma B/B_crit of the highest pairs: above 1 their synchrotron light is quantised, and is not here.");
    double jet = protons_over_field(r);
    verdict_add(v, verdict_colour(jet, 1e4, 1e8), "U_p/U_B", jet,
                "Energy density of protons over that of the field: far above 1 is far from equipartition.");
    double wide = set->e.R * set->see.delta; /* R Gamma */
    double power = 2 * 3.14159265 * wide * wide * 2.998e10 * r->protons.U_p;
    verdict_add(v, verdict_colour(power, 1e47, 1e50), "P_protons", power,
                "Power of the jet in protons, two-sided, Gamma = delta [erg/s]; 1.3e47 is Eddington's for 1e9 suns.");
    if (r->top > 0) {
        verdict_add(v, VERDICT_YELLOW, "ebl_end", r->top,
                    "The table of the background light ends here [Hz]: photons.csv has 0 above, for want of a depth.");
    }
    if (t->area.n == 0) {
        return;
    }
    if (set->seen < 0) {
        verdict_add(v, VERDICT_YELLOW, "neutrinos", t->events,
                    "Expected events; --seen would say how many there were.");
        return;
    }
    double p = exp(bml_hadron_log_poisson((int)set->seen, t->events));
    verdict_add(v, verdict_colour(-p, -0.05, -1e-3), "neutrinos", t->events,
                "Expected events; that exactly %ld are seen has the probability %.3g.", set->seen, p);
}

static void write_tables(const outcome *r, const settings *set) {
    static const char photons[] = "nu_Hz,nuFnu_erg_cm2_s,synchrotron,compton,external,made_by_protons";
    static const char neutrinos[] = "E_GeV,E2F_nu_e_GeV_cm2_s,E2F_nu_mu,E2F_nu_tau,E2F_all";
    char err[ERROR_SIZE];
    if (csv_write(set->out, "photons.csv", photons, r->photons[0], N_NU, PHOTON_COLUMNS, err)) {
        fail("%s", err);
    }
    if (csv_write(set->out, "neutrinos.csv", neutrinos, r->neutrinos[0], N_E, NEUTRINO_COLUMNS, err)) {
        fail("%s", err);
    }
}

static int report(const outcome *r, const settings *set, const telescope *t, const option_row *options,
                  double seconds) {
    char err[ERROR_SIZE];
    static verdict v;
    judge(&v, r, set, t);
    write_tables(r, set);
    if (verdict_write(&v, set->out, err)) {
        fail("%s", err);
    }
    draw(r, set);
    const bml_hadron_derived *q = &r->protons;
    printf("protons      U_p %.3g erg/cm3, U_p/U_B %.3g; ", q->U_p, protons_over_field(r));
    printf("of their power %.3g goes into photons, pairs, neutrinos\n", q->efficiency);
    printf("in the blob  photons %.3g, pairs %.3g, neutrinos %.3g erg/s\n", q->L_photons, q->L_pairs, q->L_neutrinos);
    if (t->area.n > 0) {
        printf("neutrinos    %.4g muon-neutrino events expected in %.3g s\n", t->events, set->exposure);
    }
    verdict_print(stdout, &v);
    run_entry results[] = {{"U_p", q->U_p, NULL},
                           {"efficiency", q->efficiency, NULL},
                           {"L_photons", q->L_photons, NULL},
                           {"L_pairs", q->L_pairs, NULL},
                           {"L_neutrinos", q->L_neutrinos, NULL},
                           {"events", t->events, NULL},
                           {NULL, 0, NULL}};
    run_info info = {.program = "hadron", .seconds = seconds};
    info.options = options;
    info.results = results;
    info.more = verdict_json;
    info.more_of = &v;
    if (run_write(set->out, &info, err)) {
        fail("%s", err);
    }
    return verdict_status(&v);
}

/* The files that the options name. */
static void read_files(settings *set, telescope *t, ebl_table *ebl) {
    const sed_options how = {.redshift = set->see.redshift};
    char err[ERROR_SIZE];
    char path[PATH_SIZE];
    if (set->area && hadron_area_read(&t->area, set->area, err)) {
        fail("%s", err);
    }
    if (set->data && sed_read(&set->points, set->data, &how, err)) {
        fail("%s", err);
    }
    if (!set->ebl || strcmp(set->ebl, "none") == 0) {
        return;
    }
    if (ebl_find(path, sizeof path, set->ebl, err) || ebl_read(ebl, path, err)) {
        fail("%s", err);
    }
    set->see.ebl = &ebl->tau;
}

/* The two solvers, for one source. */
typedef struct solvers {
    bml_ssc *tables;
    bml_ssc_blob *blob;
    bml_hadron *kernels;
    bml_hadron_blob *protons;
} solvers;

static void solvers_open(solvers *o, double spacing) {
    const bml_ssc_config ssc = {.spacing = spacing};
    const bml_hadron_config hadron = {spacing};
    char why[BML_SSC_MESSAGE];
    if (bml_ssc_create(&o->tables, &ssc, why) || bml_ssc_blob_create(&o->blob, o->tables, why)) {
        fail("hadron: %s", why);
    }
    if (bml_hadron_create(&o->kernels, &hadron, why) || bml_hadron_blob_create(&o->protons, o->kernels, why)) {
        fail("hadron: %s", why);
    }
}

static void solvers_close(solvers *o) {
    bml_hadron_blob_free(o->protons);
    bml_hadron_free(o->kernels);
    bml_ssc_blob_free(o->blob);
    bml_ssc_free(o->tables);
}

/* A run that has not converged has a result all the same. */
static void solve(outcome *r, const solvers *o, settings *set) {
    const char *reason;
    r->status = hadron_ssc_solve(o->blob, o->protons, &set->e, &set->p, set->spacing, &reason);
    snprintf(r->why, sizeof r->why, "%s", reason);
    const char *whose = reason == bml_hadron_message(o->protons) ? "protons: " : "";
    if (r->status && r->status != BML_SSC_NOT_CONVERGED) {
        fail("hadron: %s%s", whose, reason);
    }
}

static void expect_events(telescope *t, const settings *set, const bml_hadron_blob *protons) {
    if (t->area.n == 0) {
        return;
    }
    const bml_hadron_area area = {t->area.log10_GeV, t->area.cm2, t->area.n};
    int status = bml_hadron_events(&t->events, &area, set->exposure, protons, &set->hear);
    if (status) {
        fail("hadron: %s", bml_hadron_strerror(status));
    }
}

static int run(settings *set, const option_row *options) {
    static outcome r;
    static telescope t;
    static ebl_table ebl;
    char err[ERROR_SIZE];
    solvers o;
    double start = seconds_now();
    read_files(set, &t, &ebl);
    solvers_open(&o, set->spacing);
    solve(&r, &o, set);
    if (out_folder(set->out, err)) {
        fail("%s", err);
    }
    look(&r, set, o.blob, o.protons);
    expect_events(&t, set, o.protons);
    write_protons(set, o.protons);
    int status = report(&r, set, &t, options, seconds_now() - start);
    solvers_close(&o);
    ebl_free(&ebl);
    sed_free(&set->points);
    return status;
}

/* ==== options ===================================================================================================== */

static settings set = {.e = {.gamma_min = 1e3, .p = 2, .self_absorption = BML_SSC_SSA, .t_end = 5},
                       .p = {.gamma_min = 1, .p = 2},
                       .spacing = 0.1,
                       .seen = -1};

static const option_row options[] = {
    {.name = "R", .real = &set.e.R, .value = "CM", .help = "radius of the source [cm]; required"},
    {.name = "B", .real = &set.e.B, .value = "G", .help = "magnetic field [G]; required"},
    {.name = "L-e", .real = &set.e.L_e, .value = "ERG/S", .help = "power in electrons, blob frame; required"},
    {.name = "gamma-min", .real = &set.e.gamma_min, .value = "G", .help = "lowest gamma of electrons"},
    {.name = "gamma-max", .real = &set.e.gamma_max, .value = "G", .help = "highest; required"},
    {.name = "p", .real = &set.e.p, .value = "P", .help = "index of the injected electrons"},
    {.name = "L-p", .real = &set.p.L_p, .value = "ERG/S", .help = "power in protons, blob frame; required"},
    {.name = "gamma-p-min", .real = &set.p.gamma_min, .value = "G", .help = "lowest gamma of protons"},
    {.name = "gamma-p-max", .real = &set.p.gamma_max, .value = "G", .help = "highest; required"},
    {.name = "p-p", .real = &set.p.p, .value = "P", .help = "index of the injected protons"},
    {.name = "cut-off", .flag = &set.cut_off, .help = "gamma-max and gamma-p-max are those of exponential cut-offs"},
    {.name = "cooling", .flag = &set.p.cooling, .help = "pions and muons shine before they decay"},
    {.name = "gas", .real = &set.p.gas, .value = "CM-3", .help = "cold protons in the source"},
    {.name = "redshift", .real = &set.see.redshift, .min = 0, .max = 100, .value = "Z", .help = "required"},
    {.name = "delta", .real = &set.see.delta, .min = 0, .max = 1e4, .value = "D", .help = "Doppler factor; required"},
    {.name = "t",
     .real = &set.e.t_end,
     .min = 0.1,
     .max = 1e5,
     .value = "T",
     .help = "time since injection began [R/c]"},
    {.name = "spacing", .real = &set.spacing, .min = 0.05, .max = 0.2, .value = "DEX", .help = "of the energy grids"},
    {.name = "ebl",
     .text = &set.ebl,
     .value = "none|NAME|FILE",
     .help = "background light (dominguez2011, saldana2021); fluxes beyond the end of its table are written as 0"},
    {.name = "data", .text = &set.data, .value = "FILE", .help = "a table of fluxes to draw beside (sed.h)"},
    {.name = "flavours", .choice = &set.flavours, .value = "mixed|equal|source", .help = "of neutrinos at Earth"},
    {.name = "area",
     .text = &set.area,
     .value = "FILE",
     .help = "effective area: lines log10 E [GeV], cm^2 for muon neutrinos"},
    {.name = "exposure", .real = &set.exposure, .min = 0, .max = 1e12, .value = "S", .help = "seconds of observation"},
    {.name = "seen", .integer = &set.seen, .min = 0, .max = 1e6, .value = "N", .help = "events that were seen"},
    {.name = "quiet", .flag = &set.quiet, .help = "taken for the sake of scripts: there is no progress bar"},
    {.name = "out", .text = &set.out, .value = "DIR", .help = "folder for the results"},
    {0}};

int main(int argc, char **argv) {
    int first = options_parse(argc, argv, options, "hadron --R CM --B G --L-e ... --out DIR [options]",
                              "Photons and neutrinos of a source with electrons and protons.");
    if (first < argc) {
        fail("%.300s: no argument is expected beside the options", argv[first]);
    }
    if (!set.out) {
        fail("hadron: --out is missing");
    }
    if (!(set.see.redshift > 0) || !(set.see.delta > 0)) {
        fail("hadron: --redshift and --delta are required");
    }
    if (set.area && !(set.exposure > 0)) {
        fail("hadron: --area needs --exposure");
    }
    if (set.seen >= 0 && !set.area) {
        fail("hadron: --seen needs --area");
    }
    set.hear.redshift = set.see.redshift;
    set.hear.delta = set.see.delta;
    set.hear.flavours = set.flavours;
    if (set.cut_off) {
        cut_off(&set);
    }
    return run(&set, options);
}
