/* test_surrogate.c: the network's way from nodes to a spectrum (examples/common/surrogate.h), against the solver whose nodes
   they are; derivatives against finite differences; model files; and the models that are shipped, against fresh solver
   spectra. */
#include "common.h"
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#include "surrogate.h"
#include "check.h"

static uint64_t seed;
static const char *const shipped = "examples/models/ssc.safetensors";

static double x_of(int k) {
    return -15 + 25.0 * k / (SURROGATE_GRID - 1);
}

static void draw(double *row, bml_nn_rng *rng) {
    const surrogate_domain *d = &published_domain;
    do
        for (int k = 0; k < SSC_ROW; k++)
            row[k] = d->lo[k] + (d->hi[k] - d->lo[k]) * bml_nn_rng_uniform(rng);
    while (surrogate_outside(d, row));
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}
static double quantile(double *v, int n, double q) {
    qsort(v, (size_t)n, sizeof *v, ascending);
    return v[(int)(q * (n - 1) + 0.5)];
}

/* A net of the right shape with random weights. */
static void random_net(surrogate *s, int kind, int grid) {
    float input[SURROGATE_INPUTS];
    surrogate_frame f;
    const int n_in = surrogate_place(&f, input, kind, grid, published_domain.hi);
    const bml_nn_layer layers[] = {{.kind = BML_NN_INPUT, .features = n_in},
                                   {.kind = BML_NN_DENSE, .units = 24, .activation = BML_NN_TANH},
                                   {.kind = BML_NN_DENSE, .units = surrogate_n_out(kind, grid)}};
    const bml_nn_config config = {layers, 3, seed};
    float shift[SURROGATE_INPUTS] = {15.5f, 0, 2, 5, -3, 2.2f, 2, 5, 0.5f};
    float scale[SURROGATE_INPUTS];
    memset(s, 0, sizeof *s);
    s->kind = kind;
    s->grid = grid;
    s->domain = published_domain;
    surrogate_blend_table(s);
    for (int k = 0; k < SURROGATE_INPUTS; k++)
        scale[k] = 2;
    CHECK(!bml_nn_create(&s->net, &config, NULL) && !bml_nn_set_scaler(s->net, BML_NN_INPUTS, shift, scale),
          "a net of random weights");
}

/* With the solver's own nodes in the network's place the spectrum must come back: what is left is interpolation
   (synchrotron nodes 0.2 dex apart), the bound of 3 dex (5e-4 dex) and rounding. Median over energies within 6 dex of
   the peak: at the bends of a spectrum a cubic through 0.2 dex errs by a few 1e-3, between them by 1e-5. */
static void check_nodes(int grid, double typical, double worst) {
    enum { N = 150 };
    const bml_ssc_config config = {.grid = grid ? BML_SSC_ATHENA : BML_SSC_CONVERGED};
    double near[N];
    double far[N];
    double x[SURROGATE_GRID];
    double truth[SURROGATE_GRID];
    double miss[SURROGATE_GRID];
    float node[SURROGATE_NODES];
    float input[SURROGATE_INPUTS];
    float y[SURROGATE_GRID];
    surrogate s = {0};
    bml_ssc *tables = NULL;
    bml_ssc_blob *blob = NULL;
    int wrong_edge = 0;
    s.grid = grid;
    surrogate_blend_table(&s);
    CHECK(!bml_ssc_create(&tables, &config, NULL) && !bml_ssc_blob_create(&blob, tables, NULL), "solver");
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, seed, 10 + (uint64_t)grid);
    for (int k = 0; k < SURROGATE_GRID; k++)
        x[k] = x_of(k);
    for (int i = 0; i < N; i++) {
        double row[SSC_ROW];
        double peak = -HUGE_VAL;
        bml_ssc_source source = {0};
        int n = 0;
        draw(row, &rng);
        bml_ssc_source_from_row(&source, row);
        bml_ssc_solve(blob, &source);
        bml_ssc_spectrum(truth, x, SURROGATE_GRID, blob, BML_SSC_TOTAL);
        surrogate_frame f;
        surrogate_place(&f, input, SURROGATE_MLP, grid, row);
        surrogate_nodes(node, blob, &f);
        for (int k = 0; k < surrogate_n_out(SURROGATE_MLP, grid); k++) /* a bound: the most that a net may say */
            if (node[k] > SURROGATE_BOUND / 2) node[k] -= SURROGATE_BOUND;
        surrogate_spectrum(y, &s, &f, node);
        for (int k = 0; k < SURROGATE_GRID; k++)
            peak = fmax(peak, truth[k]);
        far[i] = 0;
        for (int k = 0; k < SURROGATE_GRID; k++) {
            if ((truth[k] > -29) != (y[k] > -29)) wrong_edge++;
            if (!(truth[k] > peak - 6)) continue;
            miss[n] = fabs((double)y[k] - truth[k]);
            far[i] = fmax(far[i], miss[n++]);
        }
        near[i] = quantile(miss, n, 0.5);
    }
    const char *name = surrogate_grids[grid];
    CHECK_LE(quantile(near, N, 0.99), typical,
             grid ? "athena, the solver's nodes: median error of a spectrum, 99 % [dex]"
                  : "converged, the solver's nodes: median error of a spectrum, 99 % [dex]");
    CHECK_LE(quantile(far, N, 0.95), worst,
             grid ? "athena, the solver's nodes: largest error of a spectrum, 95 % [dex]"
                  : "converged, the solver's nodes: largest error of a spectrum, 95 % [dex]");
    CHECK(wrong_edge == 0, "%s, the solver's nodes: %d values on the wrong side of the edge", name, wrong_edge);
    bml_ssc_blob_free(blob);
    bml_ssc_free(tables);
}

/* surrogate_spectrum works in float on the whole grid, surrogate_at in double at one point: 1e-4 dex allows for float
   values of 30 and their cubics, and for the cut-off grown by 500 multiplications. */
static void check_grid(int kind, int grid) {
    float input[SURROGATE_INPUTS];
    float node[SURROGATE_NODES];
    float y[SURROGATE_GRID];
    double worst = 0;
    surrogate s;
    random_net(&s, kind, grid);
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, seed, 20);
    for (int i = 0; i < 200; i++) {
        double row[SSC_ROW];
        draw(row, &rng);
        surrogate_frame f;
        surrogate_place(&f, input, kind, grid, row);
        bml_nn_predict(s.net, NULL, node, input, 1);
        surrogate_spectrum(y, &s, &f, node);
        for (int k = 0; k < SURROGATE_GRID; k++)
            worst = fmax(worst, fabs((double)y[k] - fmax(surrogate_at(&s, &f, node, x_of(k)), surrogate_floor)));
    }
    CHECK_LE(worst, 1e-4, "all energies at once against one by one [dex]");
    surrogate_free(&s);
}

/* dy/d(row) and dy/d(log10 x): surrogate_back with the network's own product, against central differences of the whole
   way. Nodes of a random net differ by about 1 from each other, 0.1 dex apart, so third derivatives reach some 1e4 and
   steps of 1e-3 err by 2e-3; float values of 10 give another 1e-3. Where straight lines meet there is no derivative,
   nor at the ends of a run, which one step in a hundred crosses: so 98 % must agree. */
static void check_derivative(int kind) {
    float input[SURROGATE_INPUTS];
    float d_input[SURROGATE_INPUTS];
    float node[SURROGATE_NODES];
    float d_node[SURROGATE_NODES];
    static double by_row[200 * SSC_ROW];
    static double by_energy[200];
    int n = 0;
    surrogate s;
    random_net(&s, kind, BML_SSC_CONVERGED);
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, seed, 30);
    while (n < 200) {
        double row[SSC_ROW];
        double d_row[SSC_ROW] = {0};
        double y[2];
        draw(row, &rng);
        const double x = -12 + 18 * bml_nn_rng_uniform(&rng);
        const double h = 1e-3;
        surrogate_frame f;
        surrogate_place(&f, input, kind, 0, row);
        if (x > f.edge - 0.2 || x > f.cutoff + 1) continue; /* beyond, the cut-off bends too fast */
        if (f.straight && fabs(fmod((x + 15) * 499 / 25, 1) - 0.5) > 0.49) continue;
        bml_nn_predict(s.net, NULL, node, input, 1);
        memset(d_node, 0, sizeof d_node);
        const double by_x = surrogate_back(d_node, d_row, &s, &f, node, x, 1);
        bml_nn_vjp(s.net, NULL, d_input, NULL, d_node, input, 1);
        for (int k = 0; k < SSC_ROW; k++) {
            for (int side = 0; side < 2; side++) {
                double at[SSC_ROW];
                memcpy(at, row, sizeof at);
                at[k] += side ? h : -h;
                surrogate_place(&f, input, kind, 0, at);
                bml_nn_predict(s.net, NULL, node, input, 1);
                y[side] = surrogate_at(&s, &f, node, x);
            }
            by_row[n * SSC_ROW + k] = fabs((y[1] - y[0]) / (2 * h) - d_row[k] - (double)d_input[k]);
        }
        surrogate_place(&f, input, kind, 0, row);
        bml_nn_predict(s.net, NULL, node, input, 1);
        y[1] = surrogate_at(&s, &f, node, x + 1e-4);
        y[0] = surrogate_at(&s, &f, node, x - 1e-4);
        by_energy[n++] = fabs((y[1] - y[0]) / 2e-4 - by_x);
    }
    CHECK_LE(quantile(by_row, 200 * SSC_ROW, 0.98), 0.02, "derivative by the parameters, against differences");
    CHECK_LE(quantile(by_energy, 200, 0.98), 0.02, "derivative by log10 x, against differences");
    surrogate_free(&s);
}

/* A file comes back as it was; files of another kind, net or parameter list are refused by name. */
static void check_files(void) {
    const char *path = "build/test_surrogate.safetensors";
    char err[ERROR_SIZE] = "";
    surrogate s;
    random_net(&s, SURROGATE_MLP, BML_SSC_CONVERGED);
    for (int b = 0; b < SURROGATE_ERRORS; b++)
        s.error[b] = (float)b;
    CHECK(!surrogate_save(&s, path, err), "save: %s", err);
    surrogate back;
    CHECK(!surrogate_load(&back, path, err), "load: %s", err);
    CHECK(back.kind == SURROGATE_MLP && back.grid == BML_SSC_CONVERGED && !back.pair_production,
          "kind, grid and physics");
    CHECK_NEAR(surrogate_error_at(&back, -15 + 0.25 * 7.5), 7.5, 1e-12, "error between two energies");
    CHECK_NEAR(back.domain.hi[0], 17, 1e-6, "domain");
    surrogate_free(&back);
    bml_nn_set_text(s.net, "surrogate_parameters", "R, B, and what you will");
    bml_nn_save(s.net, path, BML_NN_F32);
    CHECK(surrogate_load(&back, path, err) && strstr(err, "other parameters"), "another parameter list: %s", err);
    surrogate_save(&s, path, err);
    bml_nn_set_text(s.net, "surrogate_kind", "plain");
    bml_nn_save(s.net, path, BML_NN_F32);
    CHECK(surrogate_load(&back, path, err) && strstr(err, "number of inputs"), "a net of another shape: %s", err);
    bml_nn_set_text(s.net, "surrogate_kind", "oracle");
    bml_nn_save(s.net, path, BML_NN_F32);
    CHECK(surrogate_load(&back, path, err) && strstr(err, "no network of"), "another kind of file: %s", err);
    CHECK(surrogate_load(&back, "tests/check.h", err), "no model at all: %s", err);
    const char *nowhere = "build/absent/net";
    const char *refusal = "build/absent/net: the file cannot be opened";
    CHECK(surrogate_load(&back, nowhere, err) && !strcmp(err, refusal), "a missing file, named once: %s", err);
    CHECK(surrogate_save(&s, nowhere, err) && !strcmp(err, refusal), "a missing folder, named once: %s", err);
    remove(path);
    surrogate_free(&s);
}

static void check_domain(void) {
    const double good[SSC_ROW] = {15, -1, 2, 6, -3, 2};
    const double close[SSC_ROW] = {15, -1, 2, 3.9, -3, 2};
    const double wide[SSC_ROW] = {15, -1, 2, 6, -3, 3.1};
    const double loose[SSC_ROW] = {14, -2, 2, 8, -3, 2};
    CHECK(!surrogate_outside(&published_domain, good), "a row inside");
    CHECK(surrogate_outside(&published_domain, close) &&
              !strcmp(surrogate_outside(&published_domain, close), "log_gamma_max"),
          "gamma_max too near gamma_min");
    CHECK(surrogate_outside(&published_domain, wide) && !strcmp(surrogate_outside(&published_domain, wide), "p"),
          "p too steep");
    CHECK((surrogate_outside(&published_domain, loose) != NULL) == (ssc_row_confined(loose) < 8),
          "gamma_max and the blob");
}

/* A shipped network on fresh solver spectra: what the README promises. Medians over 300 spectra, with 20 % for their
   scatter; the 99th percentile of 300 is the third largest, which scatters by a factor of 1.5. */
static void check_shipped(const char *path) {
    enum { N = 300 };
    static double r2[N];
    static double mse[N];
    static double near[N];
    double x[SURROGATE_GRID];
    double truth[SURROGATE_GRID];
    double miss[SURROGATE_GRID];
    float node[SURROGATE_NODES];
    float input[SURROGATE_INPUTS];
    float y[SURROGATE_GRID];
    char err[ERROR_SIZE] = "";
    surrogate s;
    bml_ssc *tables = NULL;
    bml_ssc_blob *blob = NULL;
    const int status = surrogate_load(&s, path, err);
    CHECK(!status, "%s %s", path, err);
    CHECK(!bml_ssc_create(&tables, NULL, NULL) && !bml_ssc_blob_create(&blob, tables, NULL), "solver");
    bml_nn_rng rng;
    bml_nn_rng_init(&rng, seed + 1000, 40); /* not the rows that it was trained on */
    for (int k = 0; k < SURROGATE_GRID; k++)
        x[k] = x_of(k);
    for (int i = 0; i < N && !status; i++) {
        double row[SSC_ROW];
        double peak = -HUGE_VAL;
        double mean = 0;
        double squares = 0;
        double total = 0;
        bml_ssc_source source = {.self_absorption = s.self_absorption ? BML_SSC_SSA_HEATING : BML_SSC_SSA_OFF,
                                 .pair_production = s.pair_production};
        int n = 0;
        draw(row, &rng);
        bml_ssc_source_from_row(&source, row);
        bml_ssc_solve(blob, &source);
        bml_ssc_spectrum(truth, x, SURROGATE_GRID, blob, BML_SSC_TOTAL);
        surrogate_frame f;
        surrogate_place(&f, input, s.kind, s.grid, row);
        bml_nn_predict(s.net, NULL, node, input, 1);
        surrogate_spectrum(y, &s, &f, node);
        for (int k = 0; k < SURROGATE_GRID; k++) {
            truth[k] = fmax(truth[k], surrogate_floor);
            peak = fmax(peak, truth[k]);
            mean += truth[k] / SURROGATE_GRID;
        }
        for (int k = 0; k < SURROGATE_GRID; k++) {
            const double off = (double)y[k] - truth[k];
            squares += off * off;
            total += (truth[k] - mean) * (truth[k] - mean);
            if (truth[k] > peak - 6) miss[n++] = fabs(off);
        }
        r2[i] = 1 - squares / total;
        mse[i] = squares / SURROGATE_GRID;
        near[i] = quantile(miss, n, 0.5);
    }
    CHECK_LE(1 - quantile(r2, N, 0.5), 1e-4, "shipped model: 1 - R2, median");
    CHECK_LE(quantile(mse, N, 0.5), 1.2e-3, "shipped model: mean squared error, median [dex^2]");
    CHECK_LE(quantile(near, N, 0.5), 0.012, "shipped model: error within 6 dex of the peak, median [dex]");
    CHECK_LE(quantile(near, N, 0.99), 0.06, "shipped model: the same, 99 % of spectra [dex]");
    bml_ssc_blob_free(blob);
    bml_ssc_free(tables);
    surrogate_free(&s);
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
    check_nodes(BML_SSC_CONVERGED, 2e-3, 0.05);
    check_nodes(BML_SSC_ATHENA, 2e-3, 0.05);
    check_grid(SURROGATE_MLP, BML_SSC_CONVERGED);
    check_grid(SURROGATE_MLP, BML_SSC_ATHENA);
    check_grid(SURROGATE_PLAIN, BML_SSC_CONVERGED);
    check_derivative(SURROGATE_MLP);
    check_derivative(SURROGATE_PLAIN);
    check_files();
    check_domain();
    check_shipped(shipped);
    check_shipped("examples/models/ssc_ssa_gg.safetensors");
    return check_done();
}
