/* compton_sample: energies of photons scattered by relativistic electrons; how accurate they are; the training of the
   network in bml_sample.h.

   build/compton_sample --gamma 1e4 --eps 1e-9 --n 1000000 --out energies.npy
   build/compton_sample --check                   CDF errors and means over gamma eps0
   build/compton_sample --spectrum --out DIR      photons of power-law electrons on power-law photons, with a picture
   build/compton_sample --distance --out DIR      distance from the true distribution against the number of draws
   build/compton_sample --train                   the network's weights, from nothing: `make train-compton`

   --method published compares with the network of Charles & Chen (2024), whose weights --weights names a folder of. */
#include "common.h"
#undef BML_SAMPLE_IMPLEMENTED /* the accuracy check looks inside */
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"
#include "device.h"

enum { PUBLISHED = 3 };
enum { BLOCK = 65536 };

typedef struct settings {
    double gamma;
    double eps;
    long n;
    long threads;
    int method;
    int check;
    int spectrum;
    int distance;
    int train;
    int quiet;
    int device;
    uint64_t seed;
    const char *out;
    const char *weights;
} settings;

/* ==== the published network: 3-16-16-16-1 ========================================================================= */

typedef struct published {
    float in[16][3];
    float hidden[2][16][16];
    float out[16];
    float bias[3][16];
    float last;
} published;

/* One number from a text that holds many; 0 at its end. */
static int next_number(float *value, text_file *t) {
    if (!t->next) {
        return 0;
    }
    char *end;
    *value = strtof(t->next, &end);
    if (end == t->next) {
        return 0;
    }
    t->next = end;
    return isfinite(*value);
}

/* Weight k of row i of a layer's file: layer 0 stands input by input, layers 1 and 2 output by output. */
static float *published_weight(published *p, int layer, int i, int k) {
    if (layer == 0) {
        return &p->in[k][i];
    }
    if (layer == 3) {
        return &p->out[k];
    }
    return &p->hidden[layer - 1][i][k];
}

static int published_layer(published *p, int layer, text_file *t) {
    static const int rows[4] = {3, 16, 16, 1};
    for (int i = 0; i < rows[layer]; i++) {
        for (int k = 0; k < 16; k++) {
            if (!next_number(published_weight(p, layer, i, k), t)) {
                return 0;
            }
        }
    }
    if (layer == 3) {
        return next_number(&p->last, t);
    }
    for (int k = 0; k < 16; k++) {
        if (!next_number(&p->bias[layer][k], t)) {
            return 0;
        }
    }
    return 1;
}

static int published_read(published *p, const char *folder, char *err) {
    for (int layer = 0; layer < 4; layer++) {
        char path[PATH_SIZE];
        snprintf(path, sizeof path, "%.900s/net1_layer%d.txt", folder, layer);
        text_file t;
        if (text_open(&t, path, err)) {
            return -1;
        }
        int ok = published_layer(p, layer, &t);
        text_close(&t);
        if (!ok) {
            return error_at(err, path, 1, "not the weights of layer %d of the 3-16-16-16-1 network", layer);
        }
    }
    return 0;
}

static double published_energy(const published *p, double u, double gamma, double eps0) {
    float x[3] = {(float)u, (float)log10(gamma), (float)log10(eps0)};
    float a[16];
    float b[16];
    float y = p->last;
    double b4 = 4 * gamma * eps0;
    double top = gamma * b4 / (1 + b4);
    for (int k = 0; k < 16; k++) {
        const float *w = p->in[k];
        a[k] = tanhf(p->bias[0][k] + w[0] * x[0] + w[1] * x[1] + w[2] * x[2]);
    }
    for (int l = 0; l < 2; l++) {
        for (int k = 0; k < 16; k++) {
            b[k] = p->bias[l + 1][k];
            for (int j = 0; j < 16; j++) {
                b[k] += p->hidden[l][k][j] * a[j];
            }
        }
        for (int k = 0; k < 16; k++) {
            a[k] = tanhf(b[k]);
        }
    }
    for (int k = 0; k < 16; k++) {
        y += p->out[k] * a[k];
    }
    if (y < -1) {
        y = -1;
    } else if (y > 1) {
        y = 1;
    }
    return (1 + tanh(5 * (double)y) / tanh(5)) / 2 * (top - eps0) + eps0;
}

/* ==== one sampler for all methods ================================================================================= */

typedef struct sampler {
    double gamma;
    double eps0;
    int method;
    const bml_sample_compton_nodes *nodes;
    const published *published;
} sampler;

/* energy[n] at u[n], or drawn. rest may be NULL. */
static void sampler_run(double *energy, double *rest, const sampler *s, const double *u, long n, bml_sample_rng *rng) {
    if (s->method != PUBLISHED) {
        bml_sample_photons how = {0};
        how.n = (size_t)n;
        how.gamma = &s->gamma;
        how.eps0 = &s->eps0;
        how.one_gamma = 1;
        how.one_eps0 = 1;
        how.method = s->method;
        how.nodes = s->nodes;
        how.u = u;
        how.rest = rest;
        int status = bml_sample_compton(energy, &how, rng);
        if (status) {
            fail("gamma %g, eps0 %g: %s", s->gamma, s->eps0, bml_sample_strerror(status));
        }
        return;
    }
    if (!u) {
        bml_sample_rng_fill(energy, (size_t)n, rng);
    }
    for (long i = 0; i < n; i++) {
        energy[i] = published_energy(s->published, u ? u[i] : energy[i], s->gamma, s->eps0);
        if (rest) {
            rest[i] = 1 - energy[i] / s->gamma;
        }
    }
}

/* For the accuracy tools: l = -ln(1 - E), which tells all energies apart. */
static void sampler_inverse(double *l, const double *u, int n, void *user) {
    const sampler *s = user;
    double *rest = malloc((size_t)n * sizeof *rest);
    if (!rest) {
        fail("out of memory");
    }
    sampler_run(l, rest, s, u, n, NULL);
    for (int i = 0; i < n; i++) {
        l[i] = l[i] < 0.5 * s->gamma ? -log1p(-l[i] / s->gamma) : -log(fmax(rest[i], 1e-300));
    }
    free(rest);
}

static void sampler_cdf(double *c, const double *l, int n, void *user) {
    const sampler *s = user;
    bml_sample__pair_of pair;
    bml_sample__prepare_pair(&pair, s->gamma, s->eps0);
    for (int i = 0; i < n; i++) {
        double above;
        double slope;
        if (l[i] <= pair.l_min) {
            c[i] = 0;
        } else if (l[i] >= pair.L) {
            c[i] = 1;
        } else {
            c[i] = bml_sample__conditional(&above, &slope, l[i], &pair);
        }
    }
}

/* ==== drawing ===================================================================================================== */

/* The device's photons; its weights of the published net stand output by output in every layer. */
static void draw_on_device(double *energy, const device *d, const settings *set, const sampler *s) {
    const published *p = s->published;
    device_photons how = {0};
    how.gamma = s->gamma;
    how.eps0 = s->eps0;
    how.table = s->method == BML_SAMPLE_TABLE;
    how.seed = set->seed;
    float weights[3 * 16 + 2 * 256 + 16 + 49];
    float *w = weights;
    if (s->method == PUBLISHED) {
        memcpy(w, p->in, sizeof p->in);
        w += 48;
        for (int l = 0; l < 3; l++) {
            memcpy(w, p->bias[l], sizeof p->bias[l]);
            w += 16;
            if (l < 2) {
                memcpy(w, p->hidden[l], sizeof p->hidden[l]);
                w += 256;
            }
        }
        memcpy(w, p->out, sizeof p->out);
        w[16] = p->last;
        how.weights = weights;
    }
    device_compton(d, energy, set->n, &how);
}

/* Each block has its own stream: the numbers do not depend on the threads. */
static void draw_blocks(double *energy, const settings *set, const sampler *s) {
    long blocks = (set->n + BLOCK - 1) / BLOCK;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads((int)set->threads)
#endif
    for (long i = 0; i < blocks; i++) {
        long first = i * BLOCK;
        long n = i + 1 < blocks ? BLOCK : set->n - first;
        bml_sample_rng rng;
        bml_sample_rng_init(&rng, set->seed, (uint64_t)i);
        sampler_run(energy + first, NULL, s, NULL, n, &rng);
    }
}

static void draw(const settings *set, const sampler *s) {
    char err[ERROR_SIZE];
    char dir[PATH_SIZE];
    double *energy = malloc((size_t)set->n * sizeof *energy);
    double mean = 0;
    double square = 0;
    long shape[1] = {set->n};
    device d;
    device_open(&d, set->device, "compton_sample");
    if (!energy) {
        fail("out of memory for %ld photons", set->n);
    }
    const char *folder = ".";
    const char *file = set->out;
    snprintf(dir, sizeof dir, "%.1000s", set->out);
    char *slash = strrchr(dir, '/');
    if (slash) {
        *slash = 0;
        folder = *dir ? dir : "/";
        file = slash + 1;
    }
    if (out_folder(folder, err)) {
        fail("%s", err);
    }
    double start = seconds_now();
    if (device_ready(&d)) {
        draw_on_device(energy, &d, set, s);
    } else {
        draw_blocks(energy, set, s);
    }
    double took = seconds_now() - start;
    device_close(&d);
    for (long i = 0; i < set->n; i++) {
        mean += energy[i] / (double)set->n;
    }
    for (long i = 0; i < set->n; i++) {
        square += (energy[i] - mean) * (energy[i] - mean) / (double)(set->n - 1);
    }
    if (npy_write(folder, file, energy, shape, 1, err)) {
        fail("%s", err);
    }
    printf("photons                  %ld\n", set->n);
    printf("mean energy              %.6g", mean);
    if (set->n > 1) { /* one has no scatter */
        printf(" +- %.2g", sqrt(square / (double)set->n));
    }
    printf(" m_e c^2\n");
    printf("per second               %.3g\n", (double)set->n / took);
    printf("written                  %s\n", set->out);
    free(energy);
}

/* ==== --check ===================================================================================================== */

/* Means over gamma of the method's errors at one gamma eps0, with eps0 = 1e-3 where that leaves gamma in its range. */
static void check(const settings *set, sampler s) {
    printf("%10s %9s %9s %11s %11s %13s %13s %12s\n", "gamma eps0", "gamma", "eps0", "max |C-u|", "mean |C-u|",
           "JS [nats]", "mean E", "mean 1-E");
    for (double lg = -12; lg <= 12; lg += 2) {
        bml_sample_check how = {sampler_inverse, sampler_cdf, &s, 0, 0};
        double sums[2][3];
        double mean[2] = {0, 0};
        long n = 100000;
        s.gamma = pow(10, fmin(fmax(3 + lg / 1.5, 1), 10.8));
        s.eps0 = pow(10, lg) / s.gamma;
        bml_sample_quality q;
        if (bml_sample_check_inverse(&q, &how)) {
            fail("out of memory");
        }
        double *u;
        u = malloc(3 * (size_t)n * sizeof *u);
        double *e = u + n;
        double *r = e + n;
        if (!u) {
            fail("out of memory");
        }
        for (long i = 0; i < n; i++) {
            u[i] = ((double)i + 0.5) / (double)n;
        }
        sampler_run(e, r, &s, u, n, NULL);
        for (long i = 0; i < n; i++) {
            mean[0] += e[i] / s.gamma / (double)n;
            mean[1] += r[i] / (double)n;
        }
        free(u);
        bml_sample__pair_of pair;
        bml_sample__prepare_pair(&pair, s.gamma, s.eps0);
        bml_sample__sums(sums[0], pair.L, pair.b);
        bml_sample__sums(sums[1], pair.l_min, pair.b);
        printf("%10.0e %9.2e %9.2e %11.2e %11.2e %13.2e %13.2e %12.2e\n", pow(10, lg), s.gamma, s.eps0, q.max_error,
               q.mean_error, q.js, mean[0] * (sums[0][0] - sums[1][0]) / (sums[0][2] - sums[1][2]) - 1,
               mean[1] * (sums[0][0] - sums[1][0]) / (sums[0][1] - sums[1][1]) - 1);
    }
    (void)set;
}

/* DIR/NAME as CSV. The file's record is static: gcc cannot see that common.h forgets it when it is committed. */
static void table_write(const char *dir, const char *name, const char *header, const double *values, long rows,
                        int columns) {
    static out_file o;
    char err[ERROR_SIZE];
    if (out_begin(&o, dir, name, err)) {
        fail("%s", err);
    }
    fprintf(o.f, "%s\n", header);
    for (long i = 0; i < rows * columns; i++) {
        fprintf(o.f, "%.9g%c", values[i], (i + 1) % columns ? ',' : '\n');
    }
    if (out_commit(&o, err)) {
        fail("%s", err);
    }
}

/* ==== --spectrum ================================================================================================== */

enum { BINS = 90 };
enum { EACH = 100 };
enum { N_GAMMA = 400 };
enum { N_EPS = 120 };
typedef struct power_case {
    const char *name;
    double alpha;
    double beta;
    double gamma_max;
    double eps_min;
    double eps_max;
    const char *guide; /* gnuplot: the lines' slopes */
} power_case;

static const power_case power_cases[3] = {{"alpha 3.2, beta 1.5", 3.2, 1.5, 1e9, 1e-6, 1e-3, ""},
                                          {"alpha 4.0, beta 1.5", 4.0, 1.5, 1e9, 1e-6, 1e-3, ""},
                                          {"alpha 1.5, beta 1.5", 1.5, 1.5, 1e7, 1e-9, 1e-3, ""}};

typedef struct power_result {
    double x[BINS];
    double drawn[BINS];
    double noise[BINS];
    double direct[BINS];
    double worst;
} power_result;

/* Electrons from gamma = 20 on, whose photons are Jones'. The histogram of 100 draws for each pair of energies, and
   beside it the sum of the pairs' bin probabilities. */
static void power_row(double *drawn, double *direct, double *variance, const power_case *p, double gamma,
                      const settings *set, uint64_t stream) {
    double low = log(p->eps_min);
    double width = (log(p->gamma_max) - low) / BINS;
    bml_sample_rng rng;
    float energy[EACH];
    float g = (float)gamma;
    float e;
    bml_sample_photonsf how = {0};
    how.n = EACH;
    how.gamma = &g;
    how.eps0 = &e;
    how.one_gamma = 1;
    how.one_eps0 = 1;
    bml_sample_rng_init(&rng, set->seed, stream);
    for (int j = 0; j < N_EPS; j++) {
        double eps0 = p->eps_min * pow(p->eps_max / p->eps_min, (j + 0.5) / N_EPS);
        double before = 0;
        e = (float)eps0;
        bml_sample_rates r;
        if (bml_sample_compton_rates(&r, 4 * gamma * eps0) || bml_sample_comptonf(energy, &how, &rng)) {
            continue;
        }
        /* per decade of both: one power more */
        double weight = pow(gamma, 1 - p->alpha) * pow(eps0, 1 - p->beta) * r.rate / EACH;
        for (int k = 0; k < EACH; k++) {
            double at = (log((double)energy[k]) - low) / width;
            if (at >= 0 && at < BINS) {
                drawn[(int)at] += weight;
            }
        }
        for (int k = 0; k < BINS && before < 1; k++) {
            double after = 1;
            bml_sample_compton_cdf(&after, exp(low + (k + 1) * width), (double)g, (double)e);
            double share = after - before;
            direct[k] += weight * EACH * share;
            variance[k] += weight * weight * EACH * share * (1 - share);
            before = after;
        }
    }
}

static void power_run(power_result *r, const power_case *p, const settings *set, progress_bar *bar, int number) {
    double(*part)[3][BINS] = calloc(N_GAMMA, sizeof *part);
    double low = log(p->eps_min);
    double width = (log(p->gamma_max) - low) / BINS;
    if (!part) {
        fail("out of memory");
    }
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads((int)set->threads)
#endif
    for (int i = 0; i < N_GAMMA; i++) {
        power_row(part[i][0], part[i][1], part[i][2], p, 20 * pow(p->gamma_max / 20, (i + 0.5) / N_GAMMA), set,
                  (uint64_t)(number * N_GAMMA + i));
    }
    memset(r, 0, sizeof *r);
    for (int k = 0; k < BINS; k++) {
        double variance = 0;
        for (int i = 0; i < N_GAMMA; i++) {
            r->drawn[k] += part[i][0][k];
            r->direct[k] += part[i][1][k];
            variance += part[i][2][k];
        }
        r->x[k] = exp(low + (k + 0.5) * width);
        if (variance > 0 && sqrt(variance) < 0.2 * r->direct[k]) {
            r->worst = fmax(r->worst, fabs(r->drawn[k] - r->direct[k]) / sqrt(variance));
        }
        double per = r->x[k] * width;
        r->drawn[k] /= per;
        r->direct[k] /= per;
        r->noise[k] = sqrt(variance) / per;
    }
    free(part);
    progress_at(bar, number + 1, p->name);
}

/* A guide: a straight line above the direct spectrum around x, two decades long. place is where its label goes. */
typedef struct guide_line {
    double at;
    double slope;
    const char *label;
    const char *place;
} guide_line;

static void guide(FILE *f, const power_result *r, const power_case *p, guide_line g) {
    int k = (int)((log(g.at) - log(p->eps_min)) / (log(p->gamma_max) - log(p->eps_min)) * BINS);
    if (k < 0) {
        k = 0;
    } else if (k >= BINS) {
        k = BINS - 1;
    }
    double y = 4 * r->direct[k] * r->x[k] * r->x[k];
    fprintf(f, "set arrow from %.6g,%.6g to %.6g,%.6g nohead dt 2 lw 1.5 lc rgb '#555555'\n", r->x[k] / 10,
            y * pow(0.1, g.slope + 2), r->x[k] * 10, y * pow(10, g.slope + 2));
    fprintf(f, "set label \"%s = %.3g\" at %.6g,%.6g %s tc rgb '#555555' font ',12'\n", g.label, g.slope, r->x[k], y,
            g.place);
}

static void power_picture(const power_result *r, const char *dir, char *err) {
    out_file o;
    if (plot_begin(&o, dir, "compton_spectrum", 1600, 560, 14, err)) {
        fail("%s", err);
    }
    for (int c = 0; c < 3; c++) {
        fprintf(o.f, "$c%d << EOD\n", c);
        for (int k = 0; k < BINS; k++) {
            if (r[c].direct[k] > 0) {
                fprintf(o.f, "%.6g %.6g %.6g %.6g\n", r[c].x[k], r[c].drawn[k] * r[c].x[k] * r[c].x[k],
                        r[c].noise[k] * r[c].x[k] * r[c].x[k], r[c].direct[k] * r[c].x[k] * r[c].x[k]);
            }
        }
        fprintf(o.f, "EOD\n");
    }
    fprintf(o.f, "set logscale xy; set format '10^{%%T}'; set xlabel 'photon energy {/Symbol e} [m_e c^2]'; set key "
                 "bottom left; set multiplot layout 1,3\n");
    for (int c = 0; c < 3; c++) {
        const power_case *p = &power_cases[c];
        double highest = 0;
        for (int k = 0; k < BINS; k++) {
            highest = fmax(highest, r[c].direct[k] * r[c].x[k] * r[c].x[k]);
        }
        fprintf(o.f,
                "unset arrow; unset label; set title '%s'; set ylabel '{/Symbol e}^2 dN/d{/Symbol e} [any unit]'\n",
                p->name);
        fprintf(o.f, "set yrange [%.3g:%.3g]; set xrange [%.3g:%.3g]\n", highest * 1e-16, highest * 300, p->eps_min,
                p->gamma_max);
        guide_line lines[4] = {{c < 2 ? 0.3 : 1e-2, -(p->alpha + 1) / 2, "-({/Symbol a}+1)/2",
                                c < 2 ? "left offset -1,1" : "right offset -2,0"},
                               {1e-4, -p->beta, "-{/Symbol b}", "center offset -1,1.8"},
                               {1e4, -(p->alpha + 1) + p->beta, "-({/Symbol a}+1)+{/Symbol b}", "right offset -1,-2.5"},
                               {4e7, -(p->alpha + 1), "-({/Symbol a}+1)", "right offset -3,0"}};
        for (int k = 0; k < (c < 2 ? 4 : 1); k++) {
            guide(o.f, &r[c], p, lines[k]); /* the third case has but one range */
        }
        fprintf(o.f,
                "plot $c%d using 1:4 with lines lw 2 lc rgb '#0072B2' title 'direct integration', '' using 1:2:3 with "
                "yerrorbars pt 7 ps 0.5 lc rgb "
                "'#D55E00' title 'drawn by the network'\n",
                c);
    }
    fprintf(o.f, "unset multiplot\n");
    if (plot_end(&o, dir, "compton_spectrum", err) < 0) {
        fail("%s", err);
    }
}

static void spectrum(const settings *set) {
    static power_result r[3];
    char err[ERROR_SIZE];
    char name[64];
    double start = seconds_now();
    if (out_folder(set->out, err)) {
        fail("%s", err);
    }
    progress_bar bar;
    progress_begin(&bar, "spectra", 3, set->quiet);
    for (int c = 0; c < 3; c++) {
        static double table[BINS * 4];
        power_run(&r[c], &power_cases[c], set, &bar, c);
        for (int k = 0; k < BINS; k++) {
            double row[4] = {r[c].x[k], r[c].drawn[k], r[c].noise[k], r[c].direct[k]};
            memcpy(table + 4 * k, row, sizeof row);
        }
        snprintf(name, sizeof name, "spectrum_%d.csv", c + 1);
        table_write(set->out, name, "eps_mec2,drawn,noise,direct", table, BINS, 4);
    }
    progress_end(&bar);
    power_picture(r, set->out, err);
    for (int c = 0; c < 3; c++) {
        printf("%-24s worst bin %.1f of its noise\n", power_cases[c].name, r[c].worst);
    }
    printf("photons                  %d\nseconds                  %.1f\nwritten                  %s\n",
           3 * N_GAMMA * N_EPS * EACH, seconds_now() - start, set->out);
}

/* ==== --distance ================================================================================================== */

/* The bin of edge[n + 1] that holds x, the last one beyond. */
static int bin_of(const double *edge, int n, double x) {
    int low = 0;
    int high = n;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (edge[middle] <= x) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Jensen-Shannon divergence of histograms of 1e3 ... n draws, 200 bins of equal probability, by every method. */
static void distance_one(double *js, const sampler *s, const settings *set, const double *edge, long decades,
                         uint64_t stream) {
    static double energy[BLOCK];
    static double rest[BLOCK];
    double counts[200] = {0};
    double prob[200];
    long done = 0;
    long next = 1000;
    long d = 0;
    bml_sample_rng rng;
    bml_sample_rng_init(&rng, set->seed, stream);
    for (long k = 0; k < 200; k++) {
        prob[k] = 1 / 200.0;
    }
    while (d < decades) {
        long n = next - done < BLOCK ? next - done : BLOCK;
        sampler_run(energy, rest, s, NULL, n, &rng);
        for (long i = 0; i < n; i++) {
            double l = energy[i] < 0.5 * s->gamma ? -log1p(-energy[i] / s->gamma) : -log(fmax(rest[i], 1e-300));
            counts[bin_of(edge, 200, l)]++;
        }
        done += n;
        if (done == next) {
            bml_sample_divergence v = {0, 0, 0};
            bml_sample_histogram(&v, counts, prob, 200);
            js[d++] = v.js;
            next *= 10;
        }
    }
}

static void distance(const settings *set, sampler s) {
    static const char *names[4] = {"network", "table", "exact inversion", "published network"};
    double edge[201];
    double js[4][12];
    double table[12 * 6];
    long decades = 1;
    int methods = s.published ? 4 : 3;
    char err[ERROR_SIZE];
    if (out_folder(set->out, err)) {
        fail("%s", err);
    }
    for (long top = 1000; top < set->n && decades < 12; top *= 10) {
        decades++;
    }
    bml_sample__pair_of pair;
    bml_sample__prepare_pair(&pair, s.gamma, s.eps0);
    for (long k = 0; k <= 200; k++) {
        double u = (double)k / 200;
        edge[k] = bml_sample__invert(u, pair.L * (1 - sqrt(1 - u)), &pair);
    }
    for (int m = 0; m < methods; m++) {
        s.method = m;
        distance_one(js[m], &s, set, edge, decades, (uint64_t)m);
    }
    out_file o;
    if (plot_begin(&o, set->out, "compton_distance", 900, 640, 14, err)) {
        fail("%s", err);
    }
    fprintf(o.f, "$d << EOD\n");
    printf("%9s %16s %16s %16s %18s %16s\n", "draws", names[0], names[1], names[2], "published", "noise");
    for (long k = 0; k < decades; k++) {
        double n = 1000 * pow(10, (double)k);
        double row[6] = {n, js[0][k], js[1][k], js[2][k], methods > 3 ? js[3][k] : (double)NAN, 199 / (8 * n)};
        memcpy(table + 6 * k, row, sizeof row);
        printf("%9.0e %16.3e %16.3e %16.3e %18.3e %16.3e\n", row[0], row[1], row[2], row[3], row[4], row[5]);
        for (int m = 0; m < 6; m++) {
            fprintf(o.f, "%.6g%c", row[m], m < 5 ? ' ' : '\n');
        }
    }
    fprintf(o.f, "EOD\nset logscale xy; set format '10^{%%T}'; set xlabel 'draws'; set ylabel 'Jensen-Shannon "
                 "divergence [nats]'\nplot ");
    for (int m = 0; m < methods; m++) {
        fprintf(o.f, "$d using 1:%d with linespoints lw 2 pt %d title '%s', ", m + 2, 5 + m, names[m]);
    }
    fprintf(o.f, "$d using 1:6 with lines dt 2 lw 2 lc rgb '#555555' title 'noise alone'\n");
    if (plot_end(&o, set->out, "compton_distance", err) < 0) {
        fail("%s", err);
    }
    table_write(set->out, "distance.csv", "draws,network,table,exact,published,noise", table, decades, 6);
}

/* ==== --train =====================================================================================================
   N(t, s) is known exactly on a grid, so that training is a problem of least squares with 105 unknowns:
   Levenberg-Marquardt from random starts, and the best go on with the errors reweighted towards the largest ones. What
   counts is the error of the CDF, which is that of N times `weight`, over 1 - u_min where only the upper part of the
   spectrum is left (1 - u_min >= 0.4 for those photons that the network serves). */

enum { H = 8 };
enum { N_WEIGHTS = 2 * H + H + H * H + H + H + 1 };
enum { NODES_T = 56 };
enum { NODES_S = 80 };
enum { N_NODES = NODES_T * NODES_S };
enum { STARTS = 48 };
enum { FINALISTS = 4 };
static const double s_top = 0.887;

typedef struct lesson {
    double t[NODES_T];
    double s[NODES_S];
    double target[N_NODES];
    double weight[N_NODES];
    /* what N there adds to the relative error of the mean of 1 - E at that s: a residual for each s */
    double rest[N_NODES];
} lesson;
typedef struct fit {
    double w[N_WEIGHTS];
    double best[N_WEIGHTS];
    double emphasis[N_NODES];
    double damping;
    double cost;
    double largest;
    double best_largest;
} fit;

static void lesson_make(lesson *q) {
    for (int j = 0; j < NODES_T; j++) {
        q->t[j] = pow((j + 0.5) / NODES_T, 2) * 0.999 + 0.0005;
    }
    for (int i = 0; i < NODES_S; i++) {
        bml_sample__pair_of pair = {0};
        q->s[i] = fmax(s_top * (0.5 - 0.5 * cos(3.14159265358979 * i / (NODES_S - 1))), 1e-9);
        pair.L = 4 * q->s[i] / (1 - q->s[i]);
        pair.b = expm1(pair.L);
        pair.ln_b = log(pair.b);
        pair.total = bml_sample__G(pair.L, pair.b, pair.ln_b);
        double mean = 0;
        for (int j = 0; j < NODES_T; j++) {
            double t = q->t[j];
            double above;
            double slope;
            double n = bml_sample__node(t, q->s[i]);
            double left = (1 - t) * (1 - t);
            bml_sample__conditional(&above, &slope, pair.L * t * (1 + (1 - t) * n), &pair);
            q->target[i * NODES_T + j] = n;
            q->weight[i * NODES_T + j] = pair.L * slope * t * (1 - t) / (pair.b < 5e4 ? fmax(left, 0.4) : 1);
            double rest = exp(-pair.L * t * (1 + (1 - t) * n)) * 2 * (1 - t) * 2 * sqrt(t) /
                          NODES_T; /* du = 2 (1-t) dt, t even in its root */
            mean += rest;
            q->rest[i * NODES_T + j] = -pair.L * t * (1 - t) * rest;
        }
        for (int j = 0; j < NODES_T; j++) {
            q->rest[i * NODES_T + j] /= mean;
        }
    }
}

/* N at t, s, both on [-1,1], with the hidden layers. */
static double net_forward(double *a, double *b, const double *w, double t, double s) {
    const double *b1 = w + 2 * H;
    const double *w2 = b1 + H;
    const double *b2 = w2 + H * H;
    const double *w3 = b2 + H;
    double y = w3[H];
    for (int k = 0; k < H; k++) {
        a[k] = tanh(w[2 * k] * t + w[2 * k + 1] * s + b1[k]);
    }
    for (int k = 0; k < H; k++) {
        double z = b2[k];
        for (int j = 0; j < H; j++) {
            z += w2[k * H + j] * a[j];
        }
        b[k] = tanh(z);
        y += w3[k] * b[k];
    }
    return y;
}

static void net_gradient(double *g, const double *a, const double *b, const double *w, double t, double s) {
    const double *w2 = w + 3 * H;
    const double *w3 = w2 + H * H + H;
    double d1[H] = {0};
    double *g1 = g + 2 * H;
    double *g2 = g1 + H;
    double *gb2 = g2 + H * H;
    double *g3 = gb2 + H;
    for (int k = 0; k < H; k++) {
        double d = w3[k] * (1 - b[k] * b[k]);
        g3[k] = b[k];
        gb2[k] = d;
        for (int j = 0; j < H; j++) {
            g2[k * H + j] = d * a[j];
            d1[j] += d * w2[k * H + j];
        }
    }
    for (int j = 0; j < H; j++) {
        g1[j] = d1[j] * (1 - a[j] * a[j]);
        g[2 * j] = g1[j] * t;
        g[2 * j + 1] = g1[j] * s;
    }
    g3[H] = 1;
}

static double net_cost(double *largest, const double *w, const fit *f, const lesson *q) {
    double a[H];
    double b[H];
    double sum = 0;
    double mean = 0;
    *largest = 0;
    for (int i = 0; i < N_NODES; i++) {
        double d = net_forward(a, b, w, 2 * q->t[i % NODES_T] - 1, 2 * q->s[i / NODES_T] / s_top - 1) - q->target[i];
        double e = q->weight[i] * d;
        sum += f->emphasis[i] * e * e;
        *largest = fmax(*largest, fabs(e));
        mean += q->rest[i] * d;
        if (i % NODES_T < NODES_T - 1) {
            continue;
        }
        sum += mean * mean;
        mean = 0;
    }
    return sum;
}

/* The lower half of the normal matrix A of a step and its right side, over all nodes. */
static void fit_normal(double (*A)[N_WEIGHTS], double *down, const fit *f, const lesson *q) {
    double g[N_WEIGHTS];
    double a[H];
    double b[H];
    double mean[N_WEIGHTS] = {0};
    double mean_error = 0;
    memset(A, 0, N_WEIGHTS * sizeof *A);
    memset(down, 0, N_WEIGHTS * sizeof *down);
    for (int n = 0; n < N_NODES; n++) {
        double t = 2 * q->t[n % NODES_T] - 1;
        double s = 2 * q->s[n / NODES_T] / s_top - 1;
        double w = f->emphasis[n] * q->weight[n] * q->weight[n];
        double e = net_forward(a, b, f->w, t, s) - q->target[n];
        net_gradient(g, a, b, f->w, t, s);
        for (int i = 0; i < N_WEIGHTS; i++) {
            double wg = w * g[i];
            down[i] -= wg * e;
            mean[i] += q->rest[n] * g[i];
            for (int j = 0; j <= i; j++) {
                A[i][j] += wg * g[j];
            }
        }
        mean_error += q->rest[n] * e;
        if (n % NODES_T < NODES_T - 1) {
            continue;
        }
        for (int i = 0; i < N_WEIGHTS; i++) {
            down[i] -= mean[i] * mean_error;
            for (int j = i; j < N_WEIGHTS; j++) {
                A[j][i] += mean[i] * mean[j];
            }
        }
        memset(mean, 0, sizeof mean);
        mean_error = 0;
    }
}

/* Solves A x = b in place for a symmetric positive A (lower half); 0 if it is not. */
static int cholesky(double (*A)[N_WEIGHTS], double *x) {
    for (int i = 0; i < N_WEIGHTS; i++) {
        for (int j = 0; j <= i; j++) {
            double s = A[i][j];
            for (int k = 0; k < j; k++) {
                s -= A[i][k] * A[j][k];
            }
            if (i == j && !(s > 0)) {
                return 0;
            }
            A[i][j] = i == j ? sqrt(s) : s / A[j][j];
        }
    }
    for (int i = 0; i < N_WEIGHTS; x[i] /= A[i][i], i++) {
        for (int k = 0; k < i; k++) {
            x[i] -= A[i][k] * x[k];
        }
    }
    for (int i = N_WEIGHTS - 1; i >= 0; x[i] /= A[i][i], i--) {
        for (int k = i + 1; k < N_WEIGHTS; k++) {
            x[i] -= A[k][i] * x[k];
        }
    }
    return 1;
}

static void fit_step(fit *f, const lesson *q) {
    double A[N_WEIGHTS][N_WEIGHTS];
    double B[N_WEIGHTS][N_WEIGHTS];
    double down[N_WEIGHTS];
    fit_normal(A, down, f, q);
    for (int attempt = 0; attempt < 12; attempt++, f->damping = fmin(4 * f->damping, 1e6)) {
        double step[N_WEIGHTS];
        memcpy(B, A, sizeof A);
        memcpy(step, down, sizeof down);
        for (int i = 0; i < N_WEIGHTS; i++) {
            B[i][i] += f->damping * (A[i][i] + 1e-12);
        }
        if (!cholesky(B, step)) {
            continue;
        }
        for (int i = 0; i < N_WEIGHTS; i++) {
            step[i] += f->w[i];
        }
        double largest;
        double cost = net_cost(&largest, step, f, q);
        if (!(cost < f->cost)) {
            continue;
        }
        memcpy(f->w, step, sizeof step);
        f->cost = cost;
        f->largest = largest;
        f->damping = fmax(0.3 * f->damping, 1e-12);
        if (largest < f->best_largest) {
            f->best_largest = largest;
            memcpy(f->best, step, sizeof step);
        }
        return;
    }
}

/* More weight where errors are large (Lawson 1961's way to the smallest largest error). */
static void fit_emphasise(fit *f, const lesson *q) {
    double a[H];
    double b[H];
    double sum = 0;
    for (int i = 0; i < N_NODES; i++) {
        double e =
            q->weight[i] *
            (net_forward(a, b, f->w, 2 * q->t[i % NODES_T] - 1, 2 * q->s[i / NODES_T] / s_top - 1) - q->target[i]);
        sum += f->emphasis[i] *= 0.7 + fabs(e) / f->largest;
    }
    for (int i = 0; i < N_NODES; i++) {
        f->emphasis[i] *= N_NODES / sum;
    }
    f->cost = net_cost(&f->largest, f->w, f, q);
}

static void fit_start(fit *f, const lesson *q, uint64_t seed, uint64_t number) {
    bml_sample_rng rng;
    bml_sample_rng_init(&rng, seed, number);
    for (int i = 0; i < N_WEIGHTS; i++) {
        f->w[i] = 2 * bml_sample_rng_uniform(&rng) - 1;
    }
    for (int i = 0; i < 3 * H; i++) {
        f->w[i] *= 1.6;
    }
    for (int i = N_WEIGHTS - H - 1; i < N_WEIGHTS; i++) {
        f->w[i] *= 0.5;
    }
    for (int i = 0; i < N_NODES; i++) {
        f->emphasis[i] = 1;
    }
    f->damping = 0.01;
    f->best_largest = 1e9;
    f->cost = net_cost(&f->largest, f->w, f, q);
}

static int fit_order(const void *a, const void *b) {
    double x = ((const fit *)a)->cost;
    double y = ((const fit *)b)->cost;
    return (x > y) - (x < y);
}

static int fit_final_order(const void *a, const void *b) {
    double x = ((const fit *)a)->best_largest;
    double y = ((const fit *)b)->best_largest;
    return (x > y) - (x < y);
}

/* As the header has them: t and s unscaled. */
static void net_print(const double *w) {
    double v[N_WEIGHTS];
    memcpy(v, w, sizeof v);
    for (int k = 0; k < H; k++) {
        v[2 * k] = 2 * w[2 * k];
        v[2 * k + 1] = 2 / s_top * w[2 * k + 1];
        v[2 * H + k] -= w[2 * k] + w[2 * k + 1];
    }
    double turned[N_WEIGHTS]; /* bml_sample.h has its kernels [in][out] */
    memcpy(turned, v, sizeof v);
    for (int k = 0; k < H; k++) {
        for (int j = 0; j < 2; j++) {
            turned[H * j + k] = v[2 * k + j];
        }
    }
    for (int k = 0; k < H; k++) {
        for (int j = 0; j < H; j++) {
            turned[3 * H + H * j + k] = v[3 * H + H * k + j];
        }
    }
    printf("static const float weights[%d] = {\n", N_WEIGHTS);
    for (int k = 0; k < N_WEIGHTS; k++) {
        const char *after = k % 7 == 6 ? ",\n" : ",";
        if (k == N_WEIGHTS - 1) {
            after = "\n};\n";
        }
        printf("%s%.8ef%s", k % 7 ? " " : "    ", turned[k], after);
    }
}

static void train(const settings *set) {
    static lesson q;
    fit *f = calloc(STARTS, sizeof *f);
    double start = seconds_now();
    int finished = 0;
    if (!f) {
        fail("out of memory");
    }
    lesson_make(&q);
    progress_bar bar;
    progress_begin(&bar, "starts", STARTS, set->quiet);
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads((int)set->threads)
#endif
    for (int i = 0; i < STARTS; i++) {
        fit_start(&f[i], &q, set->seed, (uint64_t)i);
        for (int step = 0; step < 250; step++) {
            fit_step(&f[i], &q);
        }
#ifdef _OPENMP
#pragma omp critical
#endif
        {
            finished++;
            progress_at(&bar, finished, NULL);
        }
    }
    qsort(f, STARTS, sizeof *f, fit_order);
    progress_end(&bar);
    progress_begin(&bar, "finalists", FINALISTS * 300, set->quiet);
    finished = 0;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads((int)set->threads)
#endif
    for (int i = 0; i < FINALISTS; i++) {
        for (int round = 0; round < 300; round++) {
            if (round >= 60) {
                fit_emphasise(&f[i], &q);
            }
            for (int step = 0; step < 10; step++) {
                fit_step(&f[i], &q);
            }
#ifdef _OPENMP
#pragma omp critical
#endif
            {
                finished++;
                progress_at(&bar, finished, NULL);
            }
        }
    }
    progress_end(&bar);
    qsort(f, FINALISTS, sizeof *f, fit_final_order);
    printf("/* largest CDF error on the grid of training %.2g; seed %llu; %.0f s */\n", f[0].best_largest,
           (unsigned long long)set->seed, seconds_now() - start);
    net_print(f[0].best);
    free(f);
}

/* ==== main ======================================================================================================== */

static settings set;

static void defaults(void) {
    set.gamma = (double)NAN;
    set.eps = (double)NAN;
    set.n = 1000000;
    set.threads = 1;
    set.seed = 1;
}

static const option_row options[] = {
    OPTION_REAL("gamma", &set.gamma, 1, 1e11, "G", "Lorentz factor of the electron, 1 ... 1e11"),
    OPTION_REAL("eps", &set.eps, 1e-13, 1e2, "E", "photon energy before [m_e c^2], 1e-13 ... 1e2"),
    OPTION_WHOLE("n", &set.n, 1, 1e10, "photons to draw; with --distance: at most"),
    OPTION_CHOICE("method", &set.method, "net|table|exact|published", "net, table, exact, published"),
    OPTION_WORD("weights", &set.weights, "DIR", "folder with net1_layer0.txt ... of the published network"),
    OPTION_SWITCH("check", &set.check, "errors of the method over gamma eps0"),
    OPTION_SWITCH("spectrum", &set.spectrum, "power-law electrons on power-law photons"),
    OPTION_SWITCH("distance", &set.distance, "divergence against the number of draws, all methods"),
    OPTION_SWITCH("train", &set.train, "train the built-in network; prints its weights"),
    OPTION_SEED("seed", &set.seed, "seed"),
    OPTION_WHOLE("threads", &set.threads, 1, 1024, "threads; the numbers do not depend on them"),
    DEVICE_OPTION(&set.device),
    OPTION_SWITCH("quiet", &set.quiet, "no progress bar"),
    OPTION_WORD("out", &set.out, "FILE.npy", "file for the energies; --spectrum, --distance: folder"),
    {0}};

/* What does not go together. */
static void agree(void) {
    int jobs = set.check + set.spectrum + set.distance + set.train;
    if (jobs > 1) {
        fail("--check, --spectrum, --distance and --train: one at a time");
    }
    if (set.device == DEVICE_CUDA && (jobs || set.method == BML_SAMPLE_EXACT)) {
        fail("--device cuda draws photons, by net, table or published; all else runs on the CPU");
    }
}

int main(int argc, char **argv) {
    defaults();
    int first = options_parse(argc, argv, options, "compton_sample --gamma G --eps E --out FILE.npy [options]",
                              "Energies of photons after Compton scattering by relativistic electrons (Jones 1968).");
    static bml_sample_compton_nodes nodes;
    static published net;
    sampler s = {set.gamma, set.eps, set.method, &nodes, NULL};
    char err[ERROR_SIZE];
    if (first < argc) {
        fail("%.300s: no argument is expected beside the options", argv[first]);
    }
    agree();
    if (set.train) {
        train(&set);
        output_arrived("compton_sample");
        return 0;
    }
    if (set.weights && published_read(&net, set.weights, err)) {
        fail("%s", err);
    }
    if (set.weights) {
        s.published = &net;
    }
    if (set.method == PUBLISHED && !set.weights) {
        fail("--method published needs --weights DIR");
    }
    bml_sample_compton_table(&nodes);
    if (set.check) {
        check(&set, s);
        output_arrived("compton_sample");
        return 0;
    }
    if (!set.out) {
        fail("--out is missing");
    }
    if (set.spectrum) {
        spectrum(&set);
        return 0;
    }
    if (set.distance && isnan(set.gamma)) {
        s.gamma = 1e4;
    }
    if (set.distance && isnan(set.eps)) {
        s.eps0 = 1e-4;
    }
    if (isnan(s.gamma) || isnan(s.eps0)) {
        fail("--gamma and --eps are needed");
    }
    if (!bml_sample__in_domain(s.gamma, s.eps0)) {
        fail("gamma %g, eps0 %g: %s", s.gamma, s.eps0, bml_sample_strerror(BML_SAMPLE_OUT_OF_DOMAIN));
    }
    if (set.distance) {
        distance(&set, s);
    } else {
        draw(&set, &s);
    }
    return 0;
}
