/* setup.h: from options and a table to a problem. Public domain or MIT, see LICENSE. */
#ifndef FIT_SED_SETUP_H
#define FIT_SED_SETUP_H
#include "evaluate.h"

static void net_close(problem *p) {
    for (int i = 0; p->desk && i < p->threads; i++) {
        bml_nn_work_free(p->desk[i].work);
        free(p->desk[i].node);
        free(p->desk[i].d_node);
        free(p->desk[i].point);
        free(p->desk[i].flux);
    }
    free(p->desk);
    free(p->log10_x);
    surrogate_free(&p->net);
}

static void net_load(problem *p) {
    char err[ERROR_SIZE];
    if (surrogate_load(&p->net, p->opt->model, err)) fail("%s", err);
}

/* Refuses a network of other physics than was asked for. */
static void net_check(const problem *p) {
    const options *opt = p->opt;
    if (p->net.self_absorption != opt->ssa || p->net.pair_production != opt->pairs)
        fail("%s: was trained with %s: ask for the same with --ssa and --gg", opt->model,
             surrogate_physics[p->net.self_absorption + 2 * p->net.pair_production]);
    if (p->net.grid != (opt->grid ? BML_SSC_ATHENA : BML_SSC_CONVERGED))
        fail("%s: was trained on the grid '%s': ask for the same with --grid", opt->model,
             surrogate_grids[p->net.grid]);
    if (p->net.grid == BML_SSC_ATHENA && opt->sampler == SAMPLER_NUTS)
        fail("fit_sed: --sampler nuts needs a model of the converged grid: the other one's spectra move in steps");
}

/* Where the observer stands: once the redshift is known. (12) and (13) of bml_ssc.h. */
static void net_observe(problem *p) {
    const double h_over_mc2 = 6.62607015e-27 / 8.1871057769e-7;
    const double z = p->opt->redshift;
    const double distance = bml_ssc_luminosity_distance(z, 70, 0.3);
    for (int i = 0; i < p->sed.n; i++)
        p->log10_x[i] = log10(p->nu[i] * (1 + z) * h_over_mc2);
    p->log10_area = log10(8.1871057769e-7 * 2.99792458e10 / (3 * 6.6524587321e-25)) - 2 * log10(distance);
}

static void net_open(problem *p) {
    net_check(p);
    const size_t n_out = bml_nn_n_out(p->net.net);
    const size_t n = (size_t)p->sed.n;
    p->desk = calloc((size_t)p->threads, sizeof *p->desk);
    p->log10_x = malloc(n * sizeof *p->log10_x);
    if (!p->desk || !p->log10_x) fail("fit_sed: out of memory");
    for (int i = 0; i < p->threads; i++) {
        net_desk *k = &p->desk[i];
        k->node = malloc(NET_ROWS * n_out * sizeof *k->node);
        k->d_node = malloc(NET_ROWS * n_out * sizeof *k->d_node);
        k->point = malloc(n * sizeof *k->point);
        k->flux = malloc(n * sizeof *k->flux);
        if (!k->node || !k->d_node || !k->point || !k->flux ||
            bml_nn_work_create(&k->work, p->net.net, NET_ROWS, 1, NULL))
            fail("fit_sed: out of memory");
    }
    net_observe(p);
}

/* Where absorption on the way matters: 100 GeV. */
static const double ebl_from = 2.417989242e25; /* [Hz] */
static const double radio_below = 1e12;        /* [Hz] */

/* The file that --ebl means; NULL: none is wanted. */
static const char *ebl_choice(problem *p) {
    static char path[PATH_SIZE];
    const char *asked = p->opt->ebl;
    char err[ERROR_SIZE];
    if (!strcmp(asked, "none")) return NULL;
    if (!strcmp(asked, "auto")) {
        if (!p->above_100_GeV) return NULL;
        asked = "dominguez2011";
    }
    if (ebl_find(path, sizeof path, asked, err)) fail("%s", err);
    return path;
}

/* Reads --ebl, which must know the redshift and reach all points. */
static void ebl_observe(problem *p) {
    const char *path = ebl_choice(p);
    const double z = p->opt->redshift;
    char err[ERROR_SIZE];
    if (!path) return;
    if (ebl_read(&p->ebl, path, err)) fail("%s", err);
    const bml_ssc_ebl *e = &p->ebl.tau;
    if (!(z >= e->z[0] && z <= e->z[e->n_z - 1]))
        fail("%s: redshifts %g ... %g: the source, at %g, is outside", path, e->z[0], e->z[e->n_z - 1], z);
    p->absorbed = 1;
    for (int i = 0; i < p->sed.n; i++) {
        double tau = 0;
        if (bml_ssc_ebl_depth(&tau, e, z, p->nu[i]))
            fail("%s: ends at %.4g Hz: a point of the table lies at %.4g Hz", path, pow(10, e->log10_nu[e->n_nu - 1]),
                 p->nu[i]);
        p->fade[i] = -tau / 2.302585092994046;
    }
    double deepest = 0;
    for (int i = 0; i < p->sed.n; i++)
        deepest = fmin(deepest, p->fade[i]);
    printf("absorption on the way: %s, tau up to %.2g at the points\n", path, -2.302585092994046 * deepest);
}

static int parameter_index(const char *name, size_t length) {
    for (int k = 0; k < N_PAR; k++)
        if (strlen(parameters[k].name) == length && !strncmp(parameters[k].name, name, length)) return k;
    return -1;
}

/* --fix name=value, and --no-systematic-scatter. Fills value, free_par, n_free, n_model. */
static void fix_parameters(problem *p) {
    int fixed[N_PAR] = {0};
    for (int i = 0; i < p->opt->fix.n; i++) {
        const char *item = p->opt->fix.item[i];
        const char *equals = strchr(item, '=');
        int k = equals ? parameter_index(item, (size_t)(equals - item)) : -1;
        if (k < 0)
            fail("fit_sed: --fix %s: must be NAME=VALUE with NAME one of log_R, log_B, log_gamma_min, log_gamma_max, "
                 "log_l_e, p, log_delta, log_gamma_break, p2, curvature, log_u_ext, log_T_ext, ln_f",
                 item);
        if (!is_parameter(p->opt, k))
            fail("fit_sed: --fix %s: the model has no such parameter (--electrons, --field)", item);
        const char *wrong;
        if ((wrong = read_real(&p->value[k], equals + 1)) != NULL)
            fail("fit_sed: --fix %s: '%s' %s", item, equals + 1, wrong);
        if (!(p->value[k] >= parameters[k].lo && p->value[k] <= parameters[k].hi))
            fail("fit_sed: --fix %s: outside %g ... %g", item, parameters[k].lo, parameters[k].hi);
        fixed[k] = 1;
    }
    if (!p->opt->systematic_scatter) {
        fixed[LN_F] = 1;
        p->value[LN_F] = -HUGE_VAL;
    }
    if (p->opt->electrons == ELECTRONS_PARABOLA && !fixed[BREAK]) p->value[BREAK] = parabola_pivot;
    if (p->opt->electrons == ELECTRONS_PARABOLA) fixed[BREAK] = 1;
    p->follows = p->opt->electrons == ELECTRONS_CUTOFF && !fixed[GAMMA_MAX];
    if (p->follows) fixed[GAMMA_MAX] = 1;
    for (int k = 0; k < N_PAR; k++)
        if (!fixed[k] && is_parameter(p->opt, k)) p->free_par[p->n_free++] = k;
    p->n_model = p->n_free - !fixed[LN_F];
    if (p->n_model < 1) fail("fit_sed: at least one parameter of the source must be free");
}

/* A line of --prior; it obeys the ranges that --fix obeys. */
static void take_prior(bml_mcmc_prior_param *row, const prior_row *given, int k, const prior_file *file) {
    const struct parameter *range = &parameters[k];
    const int endless = given->kind == PRIOR_NORMAL && !(given->lower < given->upper);
    PRIOR_PARAM(row, given);
    if (endless) {
        row->lower = range->lo;
        row->upper = range->hi;
    }
    if (!(row->lower >= range->lo && row->upper <= range->hi))
        fail("%s:%ld: %s: %g ... %g is outside %g ... %g", file->name, given->line, range->name, row->lower, row->upper,
             range->lo, range->hi);
}

/* Uniform in the published ranges, or as --prior says; flat where gamma_max may be. */
static void make_prior(problem *p) {
    bml_mcmc_prior_param row[N_PAR] = {{0}};
    prior_file file = {0};
    char err[ERROR_SIZE];
    const char *names[N_PAR];
    const double weakest[2] = {parameters[R].lo, parameters[B].lo}; /* R and B bound gamma_max only if they can */
    p->confines = p->opt->prior || ssc_row_confined(weakest) < parameters[GAMMA_MAX].hi;
    for (int k = 0; k < N_PAR; k++)
        names[k] = parameters[k].name;
    if (p->opt->prior && (prior_read(&file, p->opt->prior, err) || prior_check_names(&file, names, N_PAR, err)))
        fail("%s", err);
    for (int i = 0; i < file.n; i++) {
        int k = 0;
        while (k < p->n_free && strcmp(file.row[i].name, parameters[p->free_par[k]].name))
            k++;
        if (k == p->n_free)
            fail("%s:%ld: '%s' is held by --fix or --no-systematic-scatter", file.name, file.row[i].line,
                 file.row[i].name);
    }
    for (int i = 0; i < p->n_free; i++) {
        int k = p->free_par[i];
        const prior_row *given = prior_find(&file, parameters[k].name);
        row[i].lower = parameters[k].lo;
        row[i].upper = parameters[k].hi;
        if (given) take_prior(&row[i], given, k, &file);
        row[i].user = p;
        if (k == GAMMA_MAX) row[i].bounds = gamma_bounds;
        if (k == GAMMA_MIN || ((k == R || k == B) && p->confines)) row[i].joint = 1;
    }
    if (p->free_par[0] == GAMMA_MAX) row[0].bounds = NULL; /* nothing before it to depend on: allowed() still holds */
    char why[BML_MCMC_MESSAGE];
    int status = bml_mcmc_prior_create(&p->prior, row, p->n_free, why);
    if (status) fail("fit_sed: prior: %s %s", bml_mcmc_strerror(status), why);
    prior_free(&file);
}

/* ==== the table =================================================================================================== */

static void read_table(problem *p, options *opt) {
    const sed_options how = {.confidence = opt->confidence,
                             .error_floor = opt->error_floor,
                             .nu_min = opt->nu_min,
                             .nu_max = opt->nu_max,
                             .redshift = opt->redshift,
                             .frame = opt->frame,
                             .columns = opt->columns,
                             .source = opt->source,
                             .skip = opt->skip.item,
                             .n_skip = opt->skip.n,
                             .unchecked = !opt->check_table};
    char err[ERROR_SIZE];
    if (sed_read(&p->sed, opt->input, &how, err)) fail("%s", err);
    for (int i = 0; i < p->sed.n_notes; i++)
        printf("%s: %s\n", opt->input, p->sed.note[i]);
    if (opt->redshift == 0) opt->redshift = p->sed.redshift;
    if (!(opt->redshift > 0)) fail("fit_sed: --redshift must be above 0, or stand in the table");
}

/* A measured flux that the source may not exceed: a limit there with its error. */
static void make_limit(bml_ssc_point *d) {
    d->upper_limit = 1;
    d->sigma_hi = d->nuFnu * expm1(2.302585092994046 * d->sigma_hi);
    d->sigma_lo = 0;
}

/* Takes the radio points out. */
static void drop_radio(sed_table *t) {
    int n = 0;
    while (n < t->n && t->point[n].nu < radio_below)
        n++;
    t->n -= n;
    memmove(t->point, t->point + n, (size_t)t->n * sizeof *t->point);
    memmove(t->instrument, t->instrument + n, (size_t)t->n * sizeof *t->instrument);
    memmove(t->bin, t->bin + n, (size_t)t->n * sizeof *t->bin);
}

/* Points below 1e12 Hz: the blob is opaque there, or they come from the larger jet. */
static void radio_policy(problem *p, options *opt) {
    sed_table *t = &p->sed;
    int n = 0;
    for (int i = 0; i < t->n; i++)
        n += t->point[i].nu < radio_below && !t->point[i].upper_limit;
    if (opt->ssa == CHOOSE_FOR_ME) opt->ssa = p->net.net ? p->net.self_absorption : n && opt->radio < RADIO_LIMIT;
    if (opt->radio == RADIO_AUTO) opt->radio = n && !opt->ssa ? RADIO_LIMIT : RADIO_FIT;
    if (!n) return;
    p->radio_points = n;
    p->radio_safe = opt->ssa || opt->radio != RADIO_FIT;
    for (int i = 0; i < t->n && opt->radio == RADIO_LIMIT; i++)
        if (t->point[i].nu < radio_below && !t->point[i].upper_limit) make_limit(&t->point[i]);
    if (opt->radio == RADIO_DROP) drop_radio(t);
    if (t->n == 0) fail("fit_sed: --radio drop leaves no point");
    printf("%d points below 1e12 Hz are %s (--radio, --ssa)\n", n,
           opt->radio == RADIO_DROP    ? "left out"
           : opt->radio == RADIO_LIMIT ? "taken as upper limits"
           : opt->ssa                  ? "fitted, with self-absorption"
                                       : "fitted without self-absorption");
}

static void take_points(problem *p) {
    for (int i = 0; i < p->sed.n; i++) {
        const bml_ssc_point *d = &p->sed.point[i];
        p->nu[i] = d->nu;
        p->log_data[i] = log10(d->nuFnu);
        p->above_100_GeV += d->nu >= ebl_from && !d->upper_limit;
    }
}

/* ==== all of it =================================================================================================== */

static void take_memory(problem *p) {
    const bml_ssc_config config = {.grid = p->opt->grid ? BML_SSC_ATHENA : BML_SSC_CONVERGED};
    const size_t n = (size_t)p->sed.n;
    char why[BML_SSC_MESSAGE] = "out of memory";
    p->dex_rows = 4000000 / p->sed.n;
    if (p->dex_rows > 4096) p->dex_rows = 4096;
    if (p->dex_rows < p->threads) p->dex_rows = p->threads;
    p->nu = malloc(n * sizeof *p->nu);
    p->log_data = malloc(n * sizeof *p->log_data);
    p->fade = calloc(n, sizeof *p->fade);
    p->dex = malloc((size_t)p->dex_rows * n * sizeof *p->dex);
    p->scratch = malloc((size_t)p->threads * n * sizeof *p->scratch);
    p->blob = calloc((size_t)p->threads, sizeof(bml_ssc_blob *));
    int bad = !p->nu || !p->log_data || !p->fade || !p->dex || !p->scratch || !p->blob;
    bad = bad || bml_ssc_create(&p->tables, &config, why);
    for (int i = 0; i < p->threads && !bad; i++)
        bad = bml_ssc_blob_create(&p->blob[i], p->tables, why);
    if (bad) fail("fit_sed: %s", why);
}

static void open_device(problem *p) {
    device_open(&p->card, p->opt->device, "fit_sed");
    if (!device_ready(&p->card)) return;
    device_solver_open(&p->card_solver, &p->card, p->opt->grid ? BML_SSC_ATHENA : BML_SSC_CONVERGED);
    if (p->opt->model) device_net_open(&p->card_net, &p->card, p->net.net);
}

/* opt: what was left open is filled in. */
static void set_up(problem *p, options *opt) {
    memset(p, 0, sizeof *p);
    p->opt = opt;
    p->learned.best = -HUGE_VAL;
    p->warmth = 1;
    p->legs = 1;
    p->threads = farm_ranks() > 1 && !opt->threads ? 1 : threads_or_all(opt->threads);
    if (opt->reweigh == CHOOSE_FOR_ME) opt->reweigh = opt->model != NULL;
    read_table(p, opt);
    if (opt->model) net_load(p);
    radio_policy(p, opt);
    fix_parameters(p);
    make_prior(p);
    if (opt->walkers % 2 || opt->walkers < 2 * p->n_free)
        fail("fit_sed: --walkers %ld: an even number of at least %d is needed for %d parameters", opt->walkers,
             2 * p->n_free, p->n_free);
    take_memory(p);
    take_points(p);
    ebl_observe(p);
    if (opt->model) net_open(p);
    open_device(p);
    shared_open(p);
}

static void clean_up(problem *p) {
    device_net_close(&p->card_net);
    device_solver_close(&p->card_solver);
    device_close(&p->card);
    net_close(p);
    for (int i = 0; i < p->threads; i++)
        bml_ssc_blob_free(p->blob[i]);
    bml_ssc_free(p->tables);
    bml_mcmc_prior_free(p->prior);
    response_free(&p->response);
    sed_free(&p->sed);
    ebl_free(&p->ebl);
    free(p->fade);
    free(p->blob);
    free(p->nu);
    free(p->log_data);
    free(p->dex);
    free(p->scratch);
    free(p->archive);
    free(p->learned.theta);
    free(p->learned.dex);
    free(p->learned.ln_p);
}
#endif
