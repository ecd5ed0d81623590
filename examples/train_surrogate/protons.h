/* protons.h: --protons: a network for sources with electrons and protons, from nine parameters to the photons and the
   neutrinos that they make (proton_net.h). Included by train_surrogate.c, whose network, training and metrics it uses.
   Public domain or MIT, see LICENSE. */
#ifndef TRAIN_SURROGATE_PROTONS_H
#define TRAIN_SURROGATE_PROTONS_H

enum { PROTON_SPECTRA = 20000 };

/* Where sources are drawn. */
typedef struct proton_range {
    double lo[PROTON_ROW];
    double hi[PROTON_ROW];
} proton_range;

/* Of column k of the rows. */
static const char *proton_row_name(int k) {
    static const char *const more[] = {"log_l_p", "log_gamma_p_max", "p_p"};
    return k < SSC_ROW ? ssc_row_names[k] : more[k - SSC_ROW];
}

/* --range NAME=LO:HI, one of the text's; NULL, or what is wrong. */
static const char *narrow(proton_range *r, const char *text) {
    const char *equal = strchr(text, '=');
    const char *colon = equal ? strchr(equal, ':') : NULL;
    char half[64];
    double lo;
    double hi;
    if (!colon || colon - equal > (ptrdiff_t)sizeof half) {
        return "is not NAME=LO:HI";
    }
    const size_t length = (size_t)(equal - text);
    const int digits = (int)(colon - equal) - 1;
    snprintf(half, sizeof half, "%.*s", digits, equal + 1);
    const char *wrong = read_real(&lo, half);
    if (!wrong) {
        wrong = read_real(&hi, colon + 1);
    }
    if (wrong) {
        return "has ends that are no numbers";
    }
    for (int k = 0; k < PROTON_ROW; k++) {
        const char *name = proton_row_name(k);
        if (strlen(name) != length) {
            continue;
        }
        if (strncmp(name, text, length) != 0) {
            continue;
        }
        int inside = lo >= r->lo[k];
        inside &= hi <= r->hi[k];
        if (!inside || !(lo < hi)) {
            return "leaves the usual range";
        }
        r->lo[k] = lo;
        r->hi[k] = hi;
        return NULL;
    }
    return "names no parameter";
}

/* The SSC solver's own domain, and protons; then what --range leaves of it. */
static proton_range range_of(const options *opt) {
    proton_range r = {
        .lo = {[SSC_ROW] = -8, 4, 1.5},
        .hi = {[SSC_ROW] = -2, 9, 2.5},
    };
    memcpy(r.lo, published_domain.lo, sizeof published_domain.lo);
    memcpy(r.hi, published_domain.hi, sizeof published_domain.hi);
    for (int i = 0; i < opt->range.n; i++) {
        const char *item = opt->range.item[i];
        const char *wrong = narrow(&r, item);
        if (wrong) {
            fail("train_surrogate: --range %.80s: %s", item, wrong);
        }
    }
    return r;
}

/* Uniform, where the blob confines electrons and protons. Returns 0 where there seems to be no such source. */
static int draw_protons(double *row, const proton_range *r, bml_nn_rng *rng) {
    const double mass = 3.263909; /* log10 of m_p/m_e */
    for (int tries = 0; tries < 10000; tries++) {
        for (int k = 0; k < PROTON_ROW; k++) {
            const double width = r->hi[k] - r->lo[k];
            row[k] = r->lo[k] + width * bml_nn_rng_uniform(rng);
        }
        const double log_gamma_p_max = row[SSC_ROW + 1];
        const double confined = ssc_row_confined(row) - mass;
        if (!surrogate_outside(&published_domain, row) && log_gamma_p_max <= confined) {
            return 1;
        }
    }
    return 0;
}

/* Tables of both headers, and a blob of each for every thread. */
typedef struct proton_solver {
    bml_ssc *electrons;
    bml_hadron *protons;
} proton_solver;

/* log10 of a spectrum at its n nodes; what lies too deep below its peak becomes a bound. */
static void proton_targets(float *node, const double *y, int n) {
    double peak = surrogate_floor;
    for (int k = 0; k < n; k++)
        peak = fmax(peak, y[k]);
    for (int k = 0; k < n; k++) {
        const double bound = SURROGATE_BOUND + peak - PROTON_DEPTH;
        const int seen = y[k] > peak - PROTON_DEPTH;
        node[k] = (float)(seen ? y[k] : bound);
    }
}

/* A source's nodes, node [PROTON_NODES]. */
static int solve_protons(float *node, const double *row, bml_ssc_blob *blob, bml_hadron_blob *protons, int ssa) {
    bml_ssc_source e = {.pair_production = 1};
    bml_hadron_source p = {.gamma_min = 1};
    const char *why;
    bml_ssc_source_from_row(&e, row);
    e.self_absorption = ssa ? BML_SSC_SSA_HEATING : BML_SSC_SSA_OFF;
    p.compactness = pow(10, row[SSC_ROW]);
    p.gamma_max = pow(10, row[SSC_ROW + 1]);
    p.p = row[SSC_ROW + 2];
    int status = hadron_ssc_solve(blob, protons, &e, &p, 0, &why);
    for (int r = 0; r < 2 && !status; r++) {
        const proton_part *part = &proton_parts[r];
        double x[PROTON_NODES];
        double y[PROTON_NODES];
        for (int k = 0; k < part->n; k++)
            x[k] = proton_node(part, k);
        if (r == 0) {
            status = bml_ssc_spectrum(y, x, part->n, blob, BML_SSC_TOTAL);
        } else {
            status = bml_hadron_spectrum(y, x, part->n, protons, BML_HADRON_NEUTRINOS);
        }
        if (!status) {
            proton_targets(node + part->from, y, part->n);
        }
    }
    return status;
}

static void proton_data(dataset *d, const options *opt, const proton_range *range, const proton_solver *tables) {
    const int threads = (int)opt->threads;
    long done = 0;
    long failed = 0;
    progress_bar bar;
    progress_begin(&bar, "solving", (double)d->n, opt->quiet);
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
#endif
    {
        bml_ssc_blob *blob = NULL;
        bml_hadron_blob *protons = NULL;
        int bad = bml_ssc_blob_create(&blob, tables->electrons, NULL);
        bad = bad || bml_hadron_blob_create(&protons, tables->protons, NULL);
#ifdef _OPENMP
#pragma omp for schedule(dynamic, 8)
#endif
        for (long i = 0; i < d->n; i++) {
            double row[PROTON_ROW];
            bml_nn_rng rng;
            bml_nn_rng_init(&rng, opt->seed, (uint64_t)i + 1);
            float *target = d->target + i * PROTON_NODES;
            int status = bad || !draw_protons(row, range, &rng);
            status = status || solve_protons(target, row, blob, protons, opt->ssa);
            for (int k = 0; k < PROTON_ROW; k++)
                d->x[i * PROTON_ROW + k] = (float)row[k];
#ifdef _OPENMP
#pragma omp critical
#endif
            {
                failed += status != 0;
                done++;
                if (done % 16 == 0) {
                    progress_at(&bar, (double)done, NULL);
                }
            }
        }
        bml_hadron_blob_free(protons);
        bml_ssc_blob_free(blob);
    }
    (void)threads;
    progress_end(&bar);
    if (failed) {
        fail("train_surrogate: %ld of %ld sources could not be solved", failed, d->n);
    }
}

/* A value, or the bound that it is. */
static float proton_value(float target) {
    const int bound = target >= SURROGATE_BOUND / 2;
    return bound ? target - SURROGATE_BOUND : target;
}

/* Metrics of one spectrum of each test row, m->metric [n][N_METRICS]; m->curve [n][PROTON_NODES] is there. net: NULL for
   the truth itself. */
static void proton_measure(measured *m, const dataset *d, long from, long n, const proton_part *part, int net) {
    float truth[PROTON_NODES];
    float y[PROTON_NODES];
    m->metric = need(malloc((size_t)n * N_METRICS * sizeof *m->metric));
    for (long i = 0; i < n; i++) {
        const long first = (from + i) * PROTON_NODES;
        const float *target = d->target + first + part->from;
        const float *curve = m->curve + i * PROTON_NODES + part->from;
        float least = 0;
        for (int k = 0; k < part->n; k++) {
            const float true_one = proton_value(target[k]);
            truth[k] = true_one;
            least = true_one < least ? true_one : least;
        }
        for (int k = 0; k < part->n; k++)
            y[k] = net ? fmaxf(curve[k], least) : truth[k];
        measure_one(m->metric + i * N_METRICS, y, truth, part->n);
    }
}

/* Of a part of a row's targets. */
static float proton_peak(const float *target, const proton_part *part) {
    float peak = (float)surrogate_floor;
    for (int k = 0; k < part->n; k++)
        peak = fmaxf(peak, proton_value(target[part->from + k]));
    return peak;
}

/* rms error of each node over the test rows, where the truth is within 6 dex of its peak: error [PROTON_NODES]. */
static void proton_errors(float *error, const float *curve, const dataset *d, long from, long n) {
    for (int k = 0; k < PROTON_NODES; k++) {
        const proton_part *part = &proton_parts[k >= PHOTON_NODES];
        double sum = 0;
        long count = 0;
        for (long i = 0; i < n; i++) {
            const long first = (from + i) * PROTON_NODES;
            const float *target = d->target + first;
            const float *answer = curve + i * PROTON_NODES;
            const double miss = (double)answer[k] - (double)target[k];
            const int bound = target[k] >= SURROGATE_BOUND / 2;
            const float peak = proton_peak(target, part);
            if (!bound && target[k] > peak - 6) {
                sum += miss * miss;
                count++;
            }
        }
        const double square = sum / (double)count;
        error[k] = (float)(count ? sqrt(square) : 0);
    }
}

/* bml_nn.h's safetensors with the texts surrogate_kind "protons", _parameters, _values, arrays surrogate_domain [18],
   surrogate_error [130]. */
static void proton_save(bml_nn *net, const options *opt, const proton_range *range, const float *error) {
    float domain[2 * PROTON_ROW];
    char path[PATH_SIZE];
    for (int k = 0; k < PROTON_ROW; k++) {
        domain[k] = (float)range->lo[k];
        domain[PROTON_ROW + k] = (float)range->hi[k];
    }
    const char *physics = surrogate_physics[2 + !!opt->ssa];
    int status = bml_nn_set_text(net, "surrogate_kind", "protons");
    status |= bml_nn_set_text(net, "surrogate_physics", physics);
    status |= bml_nn_set_text(net, "surrogate_parameters", proton_row_text);
    status |= bml_nn_set_text(net, "surrogate_values",
                              "log10(x^2 n) at log10 x = -14, -13.75 ... 10; of neutrinos log10(x^2 Q) at 5 ... 13");
    status |= bml_nn_set_array(net, "surrogate_domain", domain, 2 * PROTON_ROW);
    status |= bml_nn_set_array(net, "surrogate_error", error, PROTON_NODES);
    snprintf(path, sizeof path, "%s/model.safetensors", opt->out);
    if (!status) {
        status = bml_nn_save(net, path, BML_NN_F32);
    }
    if (status) {
        char err[ERROR_SIZE];
        surrogate_file_error(err, path, status, bml_nn_message(net));
        fail("%s", err);
    }
}

/* What a net says of n rows, curve [n][PROTON_NODES]; returns microseconds a row, in batches of 24 on one core. */
static double proton_predict(float *curve, const bml_nn *net, const dataset *d, long from, long n) {
    enum { BATCH = 24 };
    bml_nn_work *work;
    char why[BML_NN_MESSAGE];
    if (bml_nn_work_create(&work, net, BATCH, 1, why)) {
        fail("train_surrogate: %s", why);
    }
    const double begin = processor_seconds();
    for (long i = 0; i < n; i += BATCH) {
        const long left = n - i;
        const size_t count = (size_t)(left < BATCH ? left : BATCH);
        const float *row = d->x + (from + i) * PROTON_ROW;
        float *answer = curve + i * PROTON_NODES;
        if (bml_nn_predict(net, work, answer, row, count)) {
            fail("train_surrogate: out of memory");
        }
    }
    const double taken = processor_seconds() - begin;
    bml_nn_work_free(work);
    return 1e6 * taken / (double)n;
}

/* A row's part for gnuplot: log10 x, truth, net. */
static void proton_block(FILE *f, int i, const proton_part *part, const float *target, const float *curve) {
    fprintf(f, "$%s%d << EOD\n", part->name, i);
    for (int k = 0; k < part->n; k++) {
        const double truth = (double)target[part->from + k];
        const double answer = (double)curve[part->from + k];
        if (truth <= (double)SURROGATE_BOUND / 2) {
            fprintf(f, "%g %g %g\n", proton_node(part, k), truth, answer);
        }
    }
    fprintf(f, "EOD\n");
}

/* Six test rows: truth and net, photons and neutrinos. */
static int proton_draw(const options *opt, const float *curve, const dataset *d, long from, long n) {
    enum { PANELS = 6 };
    out_file o;
    begin_plot(&o, opt, "spectra", 1500, 900, 12);
    for (int i = 0; i < PANELS && i < n; i++)
        for (int r = 0; r < 2; r++) {
            const long first = (from + i) * PROTON_NODES;
            const float *target = d->target + first;
            const float *answer = curve + (long)i * PROTON_NODES;
            proton_block(o.f, i, &proton_parts[r], target, answer);
        }
    fprintf(o.f, "set multiplot layout 2,3\nset grid; set xrange [-15:14]; set key left bottom samplen 2\n"
                 "set xlabel 'log_{10} x'; set ylabel 'log_{10} x^2 n, log_{10} x^2 Q'\n");
    for (int i = 0; i < PANELS && i < n; i++)
        fprintf(o.f,
                "plot $photons%d u 1:2 w l lw 5 lc rgb '#bbbbbb' t 'truth', $photons%d u 1:3 w l lw 1.5 lc rgb '%s' t "
                "'photons', $neutrinos%d u 1:2 w l lw 5 lc rgb '#bbbbbb' notitle, $neutrinos%d u 1:3 w l lw 1.5 lc rgb "
                "'%s' t 'neutrinos'\nunset key\n",
                i, i, plot_colours[0], i, i, plot_colours[1]);
    fprintf(o.f, "unset multiplot\n");
    return end_plot(&o, opt, "spectra");
}

/* error.csv. */
static void proton_write_error(const options *opt, const float *error) {
    double table[PROTON_NODES][3];
    char err[ERROR_SIZE];
    for (int k = 0; k < PROTON_NODES; k++) {
        const int neutrinos = k >= PHOTON_NODES;
        const proton_part *part = &proton_parts[neutrinos];
        table[k][0] = neutrinos;
        table[k][1] = proton_node(part, k - part->from);
        table[k][2] = (double)error[k];
    }
    if (csv_write(opt->out, "error.csv", "neutrinos,log10_x,rms_dex", table[0], PROTON_NODES, 3, err)) {
        fail("%s", err);
    }
}

/* The net, those of --against behind it, and the truth's own roughness, on the rows from `from` on. */
static void proton_report(bml_nn *const *net, const options *opt, const option_row *rows, const proton_range *range,
                          const dataset *d, long from, const history *h, double begin) {
    enum { MOST = NETS_MAX + 2 };
    const long n = d->n - from;
    float *curve[MOST] = {NULL};
    double microseconds[MOST] = {0};
    float error[PROTON_NODES];
    const int nets = 1 + opt->against.n;
    surrogate named = {.net = net[0]};
    const size_t values = (size_t)n * PROTON_NODES;
    for (int j = 0; j <= nets; j++)
        curve[j] = need(calloc(values, sizeof(float)));
    for (int j = 0; j < nets; j++)
        microseconds[j] = proton_predict(curve[j], net[j], d, from, n);
    for (int r = 0; r < 2; r++) {
        const proton_part *part = &proton_parts[r];
        measured m[MOST] = {{0}};
        char what[80];
        for (int j = 0; j <= nets; j++) {
            const int is_net = j < nets;
            const char *other = j ? opt->against.item[j - 1] : "mlp";
            m[j].name = is_net ? other : "truth";
            m[j].s = is_net ? &named : NULL;
            m[j].curve = curve[j];
            m[j].microseconds = microseconds[j];
            proton_measure(&m[j], d, from, n, part, is_net);
        }
        snprintf(what, sizeof what, "%s, clipped %d dex below each peak", part->name, (int)PROTON_DEPTH);
        print_table(m, nets + 1, n, what);
        if (r == 0) {
            write_run(opt, rows, m, n, seconds_now() - begin);
        }
        for (int j = 0; j <= nets; j++)
            free(m[j].metric);
    }
    proton_errors(error, curve[0], d, from, n);
    proton_write_error(opt, error);
    write_history(opt, h);
    proton_save(net[0], opt, range, error);
    int drawn = draw_history(opt, h);
    drawn |= proton_draw(opt, curve[0], d, from, n);
    const char *note = drawn ? "; no gnuplot here: pictures are left as scripts" : "";
    const size_t weights = bml_nn_n_params(net[0]);
    const double taken = seconds_now() - begin; /* s */
    printf("%zu weights; %.0f s; model in %s/model.safetensors%s\n", weights, taken, opt->out, note);
    for (int j = 0; j <= nets; j++)
        free(curve[j]);
}

/* All of --protons; returns the exit status. Rows are independent draws, so that the parts need no shuffling. */
static int protons_learn(const options *opt, const option_row *rows, const device *card, double begin) {
    const long n = opt->n;
    dataset d = {.n = n, .n_in = PROTON_ROW, .n_out = PROTON_NODES};
    surrogate s = {.kind = SURROGATE_MLP};
    history h = {0};
    proton_solver tables;
    bml_nn *net[NETS_MAX + 1] = {NULL};
    char why[BML_SSC_MESSAGE];
    char err[ERROR_SIZE];
    const long first[4] = {0, n * 8 / 10, n * 9 / 10, n};
    const proton_range range = range_of(opt);
    for (int j = 0; j < opt->against.n; j++) {
        float domain[2 * PROTON_ROW];
        int ssa;
        const char *path = opt->against.item[j];
        if (proton_net_load(&net[j + 1], domain, &ssa, path, err)) {
            fail("%s", err);
        }
    }
    const size_t inputs = (size_t)n * PROTON_ROW;
    const size_t values = (size_t)n * PROTON_NODES;
    d.x = need(malloc(inputs * sizeof(float)));
    d.target = need(malloc(values * sizeof(float)));
    if (bml_ssc_create(&tables.electrons, NULL, why)) {
        fail("train_surrogate: %s", why);
    }
    if (bml_hadron_create(&tables.protons, NULL, why)) {
        fail("train_surrogate: %s", why);
    }
    proton_data(&d, opt, &range, &tables);
    bml_hadron_free(tables.protons);
    bml_ssc_free(tables.electrons);
    make_net(&s, &d, opt, first[VALIDATE]);
    train(&s, &h, &d, first, opt, card);
    net[0] = s.net;
    proton_report(net, opt, rows, &range, &d, first[TEST], &h, begin);
    for (int j = 0; j <= opt->against.n; j++)
        bml_nn_free(net[j]);
    free(h.row);
    free(d.x);
    free(d.target);
    return 0;
}
#endif
