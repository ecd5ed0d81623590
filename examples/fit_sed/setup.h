/* setup.h: from options and a table to a problem. Public domain or MIT, see LICENSE. */
#ifndef FIT_SED_SETUP_H
#define FIT_SED_SETUP_H
#include "guide.h"

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
    hadrons *h = &p->protons;
    const int status = p->opt->protons ? proton_net_load(&p->net.net, h->domain[0], &h->net_ssa, p->opt->model, err)
                                       : surrogate_load(&p->net, p->opt->model, err);
    if (status) {
        fail("%s", err);
    }
}

/* Refuses a network of other physics than was asked for. */
static void net_check(const problem *p) {
    const options *opt = p->opt;
    if (opt->protons && p->protons.net_ssa != opt->ssa) {
        fail("%s: was trained %s self-absorption: ask for the same with --ssa", opt->model,
             p->protons.net_ssa ? "with" : "without");
    }
    if (opt->protons) {
        return;
    }
    if (p->net.self_absorption != opt->ssa || p->net.pair_production != opt->pairs) {
        fail("%s: was trained with %s: ask for the same with --ssa and --gg", opt->model,
             surrogate_physics[p->net.self_absorption + 2 * p->net.pair_production]);
    }
    if (p->net.grid != (opt->grid ? BML_SSC_ATHENA : BML_SSC_CONVERGED)) {
        fail("%s: was trained on the grid '%s': ask for the same with --grid", opt->model,
             surrogate_grids[p->net.grid]);
    }
    if (p->net.grid == BML_SSC_ATHENA && opt->sampler == SAMPLER_NUTS) {
        fail("fit_sed: --sampler nuts needs a model of the converged grid: the other one's spectra move in steps");
    }
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
    if (!p->desk || !p->log10_x) {
        fail("fit_sed: out of memory");
    }
    for (int i = 0; i < p->threads; i++) {
        net_desk *k = &p->desk[i];
        k->node = malloc(NET_ROWS * n_out * sizeof *k->node);
        k->d_node = malloc(NET_ROWS * n_out * sizeof *k->d_node);
        k->point = malloc(n * sizeof *k->point);
        k->flux = malloc(n * sizeof *k->flux);
        if (!k->node || !k->d_node || !k->point || !k->flux ||
            bml_nn_work_create(&k->work, p->net.net, NET_ROWS, 1, NULL)) {
            fail("fit_sed: out of memory");
        }
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
    if (!strcmp(asked, "none")) {
        return NULL;
    }
    if (!strcmp(asked, "auto")) {
        if (!p->above_100_GeV) {
            return NULL;
        }
        asked = "dominguez2011";
    }
    if (ebl_find(path, sizeof path, asked, err)) {
        fail("%s", err);
    }
    return path;
}

/* Reads --ebl, which must know the redshift and reach all points. */
static void ebl_observe(problem *p) {
    const char *path = ebl_choice(p);
    const double z = p->opt->redshift;
    char err[ERROR_SIZE];
    if (!path) {
        return;
    }
    if (ebl_read(&p->ebl, path, err)) {
        fail("%s", err);
    }
    const bml_ssc_ebl *e = &p->ebl.tau;
    if (!(z >= e->z[0] && z <= e->z[e->n_z - 1])) {
        fail("%s: redshifts %g ... %g: the source, at %g, is outside", path, e->z[0], e->z[e->n_z - 1], z);
    }
    p->absorbed = 1;
    for (int i = 0; i < p->sed.n; i++) {
        double tau = 0;
        if (bml_ssc_ebl_depth(&tau, e, z, p->nu[i])) {
            fail("%s: ends at %.4g Hz: a point of the table lies at %.4g Hz", path, pow(10, e->log10_nu[e->n_nu - 1]),
                 p->nu[i]);
        }
        p->fade[i] = -tau / 2.302585092994046;
    }
    double deepest = 0;
    for (int i = 0; i < p->sed.n; i++)
        deepest = fmin(deepest, p->fade[i]);
    printf("absorption on the way: %s, tau up to %.2g at the points\n", path, -2.302585092994046 * deepest);
}

static int parameter_index(const char *name, size_t length) {
    for (int k = 0; k < N_PAR && parameters[k].name; k++)
        if (strlen(parameters[k].name) == length && !strncmp(parameters[k].name, name, length)) {
            return k;
        }
    return -1;
}

/* What is known of the parameters before they are sampled. */
enum { FITTED, USUAL, FIXED, TIED };
typedef struct holding {
    int how[N_PAR]; /* FITTED ... TIED */
    tie of[N_PAR];  /* where TIED */
} holding;

/* The index of the parameter that a word of an option names; dies when there is none, or the model has none. */
static int parameter_asked(const problem *p, const char *option, const char *item, size_t length) {
    char names[1024] = "";
    char asked[64];
    const char *list[N_PAR];
    const int k = parameter_index(item, length);
    if (k >= 0 && is_parameter(p->opt, k)) {
        return k;
    }
    if (k >= 0) {
        fail("fit_sed: --%s %s: the model has no such parameter (--electrons, --field, --thermal)", option, item);
    }
    int n = 0;
    for (int i = 0; i < N_PAR; i++) {
        if (!is_parameter(p->opt, i)) {
            continue;
        }
        list[n++] = parameters[i].name;
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", n > 1 ? ", " : "", parameters[i].name);
    }
    snprintf(asked, sizeof asked, "%.*s", (int)length, item);
    const char *nearest = word_nearest(asked, list, n);
    if (nearest) {
        fail("fit_sed: --%s %s: no such parameter; is it %s?", option, item, nearest);
    }
    fail("fit_sed: --%s %s: NAME must be one of %s", option, item, names);
    return -1; /* fail ends the program */
}

/* "VALUE", or "A*OTHER+B" with parts left out, for parameter k. NULL, or what is wrong. */
static const char *hold(holding *h, problem *p, int k, const char *text) {
    double number = 0;
    const char *at = text + strspn(text, " ");
    const char *wrong = read_real(&number, at);
    if (!wrong) {
        h->how[k] = FIXED;
        p->value[k] = number;
        return NULL;
    }
    tie t = {.par = k, .slope = 1};
    const size_t digits = real_prefix(&number, at);
    if (digits && at[digits] == '*') {
        if (!isfinite(number)) {
            return "has a factor that is not finite";
        }
        t.slope = number;
        at += digits + 1;
    }
    const size_t length = strcspn(at, " +-");
    t.of = parameter_index(at, length);
    if (t.of < 0 || !is_parameter(p->opt, t.of)) {
        return "is neither a number nor A*OTHER+B with a parameter OTHER";
    }
    if (t.of == k) {
        return "ties the parameter to itself";
    }
    at += length + strspn(at + length, " ");
    if (*at && *at != '+' && *at != '-') {
        return "needs + or - before its last number";
    }
    if (*at && read_real(&t.offset, at + (*at == '+'))) {
        return "ends in no number";
    }
    h->how[k] = TIED;
    h->of[k] = t;
    return NULL;
}

/* Whether an item of a list is about the parameter k. */
static int is_named(const option_list *list, int k) {
    for (int i = 0; i < list->n; i++)
        if (parameter_index(list->item[i], strcspn(list->item[i], "=")) == k) {
            return 1;
        }
    return 0;
}

/* --fix and --tie: NAME=... */
static void hold_items(holding *h, problem *p, const option_list *list, const char *option) {
    const int ties = !strcmp(option, "tie");
    for (int i = 0; i < list->n; i++) {
        const char *item = list->item[i];
        const char *equals = strchr(item, '=');
        const int k = parameter_asked(p, option, item, equals ? (size_t)(equals - item) : strlen(item));
        if (!equals) {
            fail("fit_sed: --%s %s: must be NAME=%s", option, item, ties ? "A*OTHER+B" : "VALUE");
        }
        if (ties && is_named(&p->opt->fix, k)) {
            fail("fit_sed: --tie %s: this parameter is held by --fix too", item);
        }
        double unused;
        const char *wrong = ties ? NULL : read_real(&unused, equals + 1);
        if (!wrong) {
            wrong = hold(h, p, k, equals + 1);
        }
        if (wrong) {
            fail("fit_sed: --%s %s: '%s' %s", option, item, equals + 1, wrong);
        }
        if (h->how[k] == FIXED && !(p->value[k] >= parameters[k].least && p->value[k] <= parameters[k].most)) {
            fail("fit_sed: --%s %s: outside %g ... %g", option, item, parameters[k].least, parameters[k].most);
        }
    }
}

/* Usual values and ties, then --free, --prior, --fix and --tie, each of which overrules those before. */
static void hold_parameters(holding *h, problem *p, const prior_file *file) {
    for (int k = 0; k < N_PAR; k++)
        if (parameters[k].usual && is_parameter(p->opt, k)) {
            hold(h, p, k, parameters[k].usual);
        }
    if (p->opt->electrons == ELECTRONS_PARABOLA) {
        h->how[BREAK] = FIXED;
        p->value[BREAK] = parabola_pivot;
    }
    p->follows = p->opt->electrons == ELECTRONS_CUTOFF;
    h->how[GAMMA_MAX] = p->follows ? USUAL : FITTED;
    for (int i = 0; i < p->opt->free.n; i++) {
        const char *item = p->opt->free.item[i];
        h->how[parameter_asked(p, "free", item, strlen(item))] = FITTED;
    }
    for (int i = 0; i < file->n; i++) {
        const int k = parameter_index(file->row[i].name, strlen(file->row[i].name));
        if (!is_parameter(p->opt, k)) {
            fail("%s:%ld: '%s': the model has no such parameter (--electrons, --field, --thermal)", file->name,
                 file->row[i].line, file->row[i].name);
        }
        h->how[k] = FITTED;
    }
    hold_items(h, p, &p->opt->fix, "fix");
    hold_items(h, p, &p->opt->tie, "tie");
    p->follows = h->how[GAMMA_MAX] == USUAL;
    if (p->opt->systematic_scatter) {
        return;
    }
    h->how[LN_F] = FIXED;
    p->value[LN_F] = -HUGE_VAL;
}

/* The ties in an order in which each can be worked out. */
static void order_ties(problem *p, holding *h) {
    int waiting = 0;
    for (int k = 0; k < N_PAR; k++)
        waiting += is_parameter(p->opt, k) && h->how[k] == TIED;
    while (p->n_tied < waiting) {
        const int before = p->n_tied;
        for (int k = 0; k < N_PAR; k++) {
            if (!is_parameter(p->opt, k) || h->how[k] != TIED || h->how[h->of[k].of] == TIED) {
                continue;
            }
            p->tied[p->n_tied++] = h->of[k];
            h->how[k] = USUAL;
        }
        if (p->n_tied == before) {
            fail("fit_sed: --tie: these parameters follow each other in a circle");
        }
    }
}

/* Fills value, tied, free_par, n_free, n_model, follows. */
static void fix_parameters(problem *p, const prior_file *file) {
    holding h = {.how = {0}};
    hold_parameters(&h, p, file);
    order_ties(p, &h);
    for (int k = 0; k < N_PAR; k++)
        if (h.how[k] == FITTED && is_parameter(p->opt, k)) {
            p->free_par[p->n_free++] = k;
        }
    p->n_model = 0;
    for (int i = 0; i < p->n_free; i++)
        p->n_model += p->free_par[i] < LN_F;
    if (p->n_model < 1) {
        fail("fit_sed: at least one parameter of the source must be free");
    }
}

static int is_free(const problem *p, int k) {
    for (int i = 0; i < p->n_free; i++)
        if (p->free_par[i] == k) {
            return 1;
        }
    return 0;
}

static int is_tied(const problem *p, int k) {
    for (int i = 0; i < p->n_tied; i++)
        if (p->tied[i].par == k) {
            return 1;
        }
    return 0;
}

/* A line of --prior; it obeys the ranges that --fix obeys. */
static void take_prior(bml_mcmc_prior_param *row, const prior_row *given, int k, const prior_file *file) {
    const struct parameter *range = &parameters[k];
    const int endless = given->kind == PRIOR_NORMAL && !(given->lower < given->upper);
    PRIOR_PARAM(row, given);
    if (endless) {
        row->lower = range->least;
        row->upper = range->most;
    }
    if (!(row->lower >= range->least && row->upper <= range->most)) {
        fail("%s:%ld: %s: %g ... %g is outside %g ... %g", file->name, given->line, range->name, row->lower, row->upper,
             range->least, range->most);
    }
}

/* Reads --prior; empty without. */
static void read_prior(prior_file *file, const problem *p) {
    char err[ERROR_SIZE];
    const char *names[N_PAR];
    int n = 0;
    for (int k = 0; k < N_PAR; k++)
        if (parameters[k].name) {
            names[n++] = parameters[k].name;
        }
    if (p->opt->prior && (prior_read(file, p->opt->prior, err) || prior_check_names(file, names, n, err))) {
        fail("%s", err);
    }
}

/* Uniform in the published ranges, or as --prior says; flat where gamma_max may be, but where R, B or gamma_min follow
   parameters that are drawn later: allowed() alone holds then. */
static void make_prior(problem *p, const prior_file *file) {
    bml_mcmc_prior_param row[N_PAR] = {{0}};
    double weakest[2] = {parameters[R].lo, parameters[B].lo}; /* R and B bound gamma_max only if they can */
    for (int k = R; k <= B; k++)
        if (!is_free(p, k)) {
            weakest[k] = is_tied(p, k) ? parameters[k].least : fmin(weakest[k], p->value[k]);
        }
    p->confines = p->opt->prior || ssc_row_confined(weakest) < parameters[GAMMA_MAX].hi;
    const int bounded = !is_tied(p, R) && !is_tied(p, B) && !is_tied(p, GAMMA_MIN);
    for (int i = 0; i < file->n; i++)
        if (!is_free(p, parameter_index(file->row[i].name, strlen(file->row[i].name)))) {
            fail("%s:%ld: '%s' is held by --fix, --tie or --no-systematic-scatter", file->name, file->row[i].line,
                 file->row[i].name);
        }
    for (int i = 0; i < p->n_free; i++) {
        int k = p->free_par[i];
        const prior_row *given = prior_find(file, parameters[k].name);
        row[i].lower = parameters[k].lo;
        row[i].upper = parameters[k].hi;
        if (given) {
            take_prior(&row[i], given, k, file);
        }
        row[i].user = p;
        if (!bounded) {
            continue;
        }
        if (k == GAMMA_MAX) {
            row[i].bounds = gamma_bounds;
        }
        if (k == GAMMA_MIN || ((k == R || k == B) && p->confines)) {
            row[i].joint = 1;
        }
    }
    if (p->free_par[0] == GAMMA_MAX) {
        row[0].bounds = NULL; /* nothing before it to depend on: allowed() still holds */
    }
    char why[BML_MCMC_MESSAGE];
    int status = bml_mcmc_prior_create(&p->prior, row, p->n_free, why);
    if (status) {
        fail("fit_sed: prior: %s %s", bml_mcmc_strerror(status), why);
    }
}

/* ==== the table =================================================================================================== */

/* ---- --average: tables of many epochs ---- */

static int compare_double(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The points [from, to) of one bin as one, at place n: the median of the detections' log nu F_nu at the mean of their log
   nu; its error is half of the range that holds 68 % of them, and no less than their median quoted error. Of limits alone
   the lowest. */
static void average_bin(sed_table *t, int n, int from, int to) {
    double *flux = malloc(2 * (size_t)(to - from) * sizeof *flux);
    if (!flux) {
        fail("fit_sed: out of memory");
    }
    double *error = flux + (to - from);
    double log_nu = 0;
    int found = 0;
    int lowest = from;
    for (int i = from; i < to; i++) {
        const bml_ssc_point *d = &t->point[i];
        if (d->nuFnu < t->point[lowest].nuFnu) {
            lowest = i;
        }
        if (d->upper_limit) {
            continue;
        }
        flux[found] = log10(d->nuFnu);
        error[found++] = fmax(d->sigma_lo, d->sigma_hi);
        log_nu += log10(d->nu);
    }
    bml_ssc_point whole = t->point[lowest];
    if (found) {
        qsort(flux, (size_t)found, sizeof *flux, compare_double);
        qsort(error, (size_t)found, sizeof *error, compare_double);
        const double spread = 0.5 * (flux[(int)(0.84 * (found - 1) + 0.5)] - flux[(int)(0.16 * (found - 1) + 0.5)]);
        whole.upper_limit = 0;
        whole.nu = pow(10, log_nu / found);
        whole.nuFnu = pow(10, found % 2 ? flux[found / 2] : 0.5 * (flux[found / 2 - 1] + flux[found / 2]));
        whole.sigma_lo = whole.sigma_hi = fmax(spread, error[found / 2]);
    }
    free(flux);
    if (to - from == 1) {
        memmove(t->instrument[n], t->instrument[from], sizeof *t->instrument);
    } else {
        t->instrument[n][0] = 0;
    }
    t->bin[n][0] = t->point[from].nu; /* n <= from: nothing is overwritten that is still needed */
    t->bin[n][1] = t->point[to - 1].nu;
    t->point[n] = whole;
}

static void average_points(problem *p, const options *opt) {
    sed_table *t = &p->sed;
    int n = 0;
    if (!(opt->average > 0)) {
        return;
    }
    const int before = t->n;
    for (int from = 0; from < t->n;) {
        const double bin = floor(log10(t->point[from].nu) / opt->average);
        int to = from;
        while (to < t->n && floor(log10(t->point[to].nu) / opt->average) == bin)
            to++;
        average_bin(t, n++, from, to);
        from = to;
    }
    t->n = n;
    printf("%d points became %d averages over %g dex of frequency (--average)\n", before, n, opt->average);
}

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
    if (sed_read(&p->sed, opt->input, &how, err)) {
        fail("%s", err);
    }
    for (int i = 0; i < p->sed.n_notes; i++)
        printf("%s: %s\n", opt->input, p->sed.note[i]);
    if (opt->redshift == 0) {
        opt->redshift = p->sed.redshift;
    }
    if (!(opt->redshift > 0)) {
        fail("fit_sed: --redshift must be above 0, or stand in the table");
    }
    average_points(p, opt);
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
    if (opt->ssa == CHOOSE_FOR_ME) {
        opt->ssa = p->net.net ? p->net.self_absorption : n && opt->radio < RADIO_LIMIT;
    }
    if (opt->radio == RADIO_AUTO) {
        opt->radio = n && !opt->ssa ? RADIO_LIMIT : RADIO_FIT;
    }
    if (!n) {
        return;
    }
    p->radio_points = n;
    p->radio_safe = opt->ssa || opt->radio != RADIO_FIT;
    for (int i = 0; i < t->n && opt->radio == RADIO_LIMIT; i++)
        if (t->point[i].nu < radio_below && !t->point[i].upper_limit) {
            make_limit(&t->point[i]);
        }
    if (opt->radio == RADIO_DROP) {
        drop_radio(t);
    }
    if (t->n == 0) {
        fail("fit_sed: --radio drop leaves no point");
    }
    const char *what = opt->ssa ? "fitted, with self-absorption" : "fitted without self-absorption";
    if (opt->radio == RADIO_DROP) {
        what = "left out";
    }
    if (opt->radio == RADIO_LIMIT) {
        what = "taken as upper limits";
    }
    printf("%d points below 1e12 Hz are %s (--radio, --ssa)\n", n, what);
}

static void take_points(problem *p) {
    for (int i = 0; i < p->sed.n; i++) {
        const bml_ssc_point *d = &p->sed.point[i];
        p->nu[i] = d->nu;
        p->log_data[i] = log10(d->nuFnu);
        p->above_100_GeV += d->nu >= ebl_from && !d->upper_limit;
    }
}

/* ==== scatter ===================================================================================================== */

/* How many detections an instrument has. */
static int detections_of(const sed_table *t, const char *name) {
    int n = 0;
    for (int i = 0; i < t->n; i++)
        n += !t->point[i].upper_limit && !strcmp(t->instrument[i], name);
    return n;
}

/* The parameter ln_f_NAME of an instrument; letters that option values need become _. */
static void name_scatter(int group, const char *instrument) {
    static char names[SCATTERS][SED_INSTRUMENT + 8];
    static char labels[SCATTERS][SED_INSTRUMENT + 8];
    snprintf(names[group], sizeof names[group], "ln_f_%s", instrument);
    for (char *s = names[group]; *s; s++)
        if (is_space(*s) || strchr(",=*+\"#", *s)) {
            *s = '_';
        }
    snprintf(labels[group], sizeof labels[group], "ln f %s", instrument);
    for (char *s = labels[group]; *s; s++)
        if (strchr("_^{}\\@&~", *s)) {
            *s = ' '; /* gnuplot's markup */
        }
    parameters[LN_F + group] = parameters[LN_F];
    parameters[LN_F + group].name = names[group];
    parameters[LN_F + group].label = labels[group];
}

/* --scatter instrument: which points share a scatter. Two points tell next to nothing of it, so that instruments of one
   or two have the common one; so have those for which there is no room. */
static void group_points(problem *p, options *opt) {
    enum { ENOUGH = 3 };
    const sed_table *t = &p->sed;
    int groups = 1;
    p->group = calloc((size_t)t->n, sizeof *p->group);
    if (!p->group) {
        fail("fit_sed: out of memory");
    }
    opt->scatters = 1;
    if (!opt->scatter) {
        return;
    }
    opt->scatters = 0;
    for (int i = 0; i < t->n; i++) {
        if (t->point[i].upper_limit) {
            continue;
        }
        for (int k = 0; k < i && !p->group[i]; k++)
            if (!strcmp(t->instrument[i], t->instrument[k])) {
                p->group[i] = p->group[k];
            }
        const int enough = *t->instrument[i] && detections_of(t, t->instrument[i]) >= ENOUGH;
        if (!p->group[i] && enough && groups < SCATTERS) {
            name_scatter(groups, t->instrument[i]);
            p->group[i] = groups++;
        }
        opt->scatters |= 1u << p->group[i];
    }
    if (!opt->scatters) {
        opt->scatters = 1; /* limits only */
    }
    printf("%d instruments with a scatter of their own\n", groups - 1);
}

/* ==== all of it =================================================================================================== */

static void take_memory(problem *p) {
    const bml_ssc_config config = {.grid = p->opt->grid ? BML_SSC_ATHENA : BML_SSC_CONVERGED};
    const size_t n = (size_t)p->sed.n;
    char why[BML_SSC_MESSAGE] = "out of memory";
    p->dex_rows = 4000000 / p->sed.n;
    if (p->dex_rows > 4096) {
        p->dex_rows = 4096;
    }
    if (p->dex_rows < p->threads) {
        p->dex_rows = p->threads;
    }
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
    if (bad) {
        fail("fit_sed: %s", why);
    }
    hadrons_open(&p->protons, p->opt, p->threads);
}

static void open_device(problem *p) {
    device_open(&p->card, p->opt->device, "fit_sed");
    if (!device_ready(&p->card)) {
        return;
    }
    device_solver_open(&p->card_solver, &p->card, p->opt->grid ? BML_SSC_ATHENA : BML_SSC_CONVERGED);
    if (p->opt->model) {
        device_net_open(&p->card_net, &p->card, p->net.net);
    }
}

/* opt: what was left open is filled in. */
static void set_up(problem *p, options *opt) {
    memset(p, 0, sizeof *p);
    p->opt = opt;
    p->learned.best = -HUGE_VAL;
    p->learned.reach = opt->sampler == SAMPLER_IMPORTANCE ? guide_from : learn_from;
    p->warmth = 1;
    p->legs = 1;
    hadrons_check(opt);
    p->threads = farm_ranks() > 1 && !opt->threads ? 1 : threads_or_all(opt->threads);
    if (opt->reweigh == CHOOSE_FOR_ME) {
        opt->reweigh = opt->model != NULL;
    }
    read_table(p, opt);
    if (opt->model) {
        net_load(p);
    }
    radio_policy(p, opt);
    group_points(p, opt);
    prior_file file = {0};
    read_prior(&file, p);
    fix_parameters(p, &file);
    make_prior(p, &file);
    prior_free(&file);
    if (opt->walkers % 2 || opt->walkers < 2 * p->n_free) {
        fail("fit_sed: --walkers %ld: an even number of at least %d is needed for %d parameters", opt->walkers,
             2 * p->n_free, p->n_free);
    }
    take_memory(p);
    take_points(p);
    ebl_observe(p);
    if (opt->model) {
        net_open(p);
    }
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
    hadrons_close(&p->protons, p->threads);
    bml_mcmc_prior_free(p->prior);
    response_free(&p->response);
    guide_close(p);
    bml_nn_free_bytes(p->guide.before);
    sed_free(&p->sed);
    ebl_free(&p->ebl);
    free(p->group);
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
