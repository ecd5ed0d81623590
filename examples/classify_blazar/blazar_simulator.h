/* blazar_simulator.h: a world of blazars and other AGN for classify_blazar, because no table of whole SEDs is public.

   Blazars: a zone of bml_ssc.h (for those with a disc, photons of the broad lines scattered too), a flat radio core
   and steep lobes, and behind them a quasar's disc, or an elliptical host. Other AGN: disc, dust, corona, host, and
   radio from weak to strong, mostly steep. All are seen by the catalogues listed below, at these frequencies, to
   their depths, each on its own night; jets vary by 0.25 dex rms from night to night, discs by 0.06. Whether a
   catalogue has looked does not depend on what the source is. The normalisation is that of a sample limited in the
   optical, not a luminosity function.

   Two numbers were tuned, by nothing but the radio flux's AUC and a forest's on seven bands of the sources seen at 1.4
   GHz, on another seed, until these were 0.92 and 0.95 as for the SDSS quasars of the README; the networks had no say.
   radio_gap: dex by which the radio cores of blazars are brighter for their jets; veil: dex by which discs and hosts
   outshine jets. Include bml_ssc.h first. Public domain or MIT, see LICENSE. */
#ifndef BLAZAR_SIMULATOR_H
#define BLAZAR_SIMULATOR_H
#include "blazar_seds.h"

enum { NODES = 207 }; /* log10 nu = 7, 7.1, ... 27.6 */
enum { MAX_TRIES = 6 };

typedef struct catalogue_band {
    const char *catalogue; /* bands of one catalogue follow each other: one look, one night */
    double nu;             /* log10 Hz */
    double depth;          /* log10 nuFnu [erg cm^-2 s^-1] of the faintest detection */
    double share;          /* of sources looked at */
    double error;          /* least error [dex] */
    int nights;            /* looks, at most */
    int limits;            /* 1: limits are published */
} catalogue_band;

/* Approximate depths: published flux limits times frequency. */
/* clang-format off */
static const catalogue_band sky[] = {
    {"FIRST", 9.146, -16.85, 1, 0.03, 1, 0},
    {"NVSS", 9.146, -16.46, 0.8, 0.04, 1, 0},
    {"VLSSr", 7.868, -15.28, 0.6, 0.08, 1, 0},
    {"TGSS", 8.176, -16.43, 0.9, 0.05, 1, 0},
    {"GLEAM", 7.94, -15.7, 0.5, 0.06, 1, 0},
    {"GLEAM", 8.07, -15.8, 0.5, 0.05, 1, 0},
    {"GLEAM", 8.301, -16.0, 0.5, 0.04, 1, 0},
    {"WENSS", 8.513, -16.23, 0.25, 0.04, 1, 0},
    {"SUMSS", 8.926, -16.17, 0.2, 0.04, 1, 0},
    {"VLASS", 9.477, -16.52, 0.8, 0.05, 2, 0},
    {"GB6", 9.686, -15.06, 0.5, 0.05, 1, 0},
    {"PMN", 9.686, -14.7, 0.35, 0.06, 1, 0},
    {"AT20G", 9.699, -14.7, 0.2, 0.04, 1, 0},
    {"AT20G", 9.903, -14.5, 0.2, 0.04, 1, 0},
    {"AT20G", 10.301, -14.1, 0.2, 0.05, 1, 0},
    {"CRATES", 9.924, -14.3, 0.5, 0.04, 1, 0},
    {"OVRO", 10.176, -14.0, 0.2, 0.03, 3, 0},
    {"Planck", 10.477, -12.92, 1, 0.06, 1, 0},
    {"Planck", 10.643, -12.5, 1, 0.06, 1, 0},
    {"Planck", 10.845, -12.46, 1, 0.06, 1, 0},
    {"Planck", 11.0, -12.57, 1, 0.05, 1, 0},
    {"Planck", 11.155, -12.59, 1, 0.05, 1, 0},
    {"Planck", 11.336, -12.49, 1, 0.05, 1, 0},
    {"Planck", 11.548, -11.97, 1, 0.06, 1, 0},
    {"WISE", 13.134, -12.09, 1, 0.03, 1, 1},
    {"WISE", 13.413, -12.6, 1, 0.02, 1, 1},
    {"WISE", 13.812, -13.14, 1, 0.01, 1, 0},
    {"WISE", 13.951, -13.15, 1, 0.01, 1, 0},
    {"2MASS", 14.139, -11.73, 1, 0.03, 1, 0},
    {"2MASS", 14.258, -11.75, 1, 0.03, 1, 0},
    {"2MASS", 14.386, -11.7, 1, 0.03, 1, 0},
    {"UKIDSS", 14.134, -12.9, 0.2, 0.02, 1, 0},
    {"UKIDSS", 14.264, -12.9, 0.2, 0.02, 1, 0},
    {"UKIDSS", 14.381, -12.9, 0.2, 0.02, 1, 0},
    {"SDSS", 14.526, -13.4, 1, 0.015, 1, 0},
    {"SDSS", 14.603, -13.6, 1, 0.01, 1, 0},
    {"SDSS", 14.687, -13.7, 1, 0.01, 1, 0},
    {"SDSS", 14.806, -13.7, 1, 0.01, 1, 0},
    {"SDSS", 14.926, -13.5, 1, 0.02, 1, 0},
    {"PanSTARRS", 14.492, -13.3, 0.75, 0.015, 2, 0},
    {"PanSTARRS", 14.541, -13.5, 0.75, 0.015, 2, 0},
    {"PanSTARRS", 14.793, -13.7, 0.75, 0.015, 2, 0},
    {"Gaia", 14.58, -13.2, 0.95, 0.01, 1, 0},
    {"Gaia", 14.66, -13.3, 0.95, 0.005, 1, 0},
    {"Gaia", 14.76, -13.2, 0.95, 0.01, 1, 0},
    {"GALEX", 15.114, -12.7, 0.7, 0.03, 1, 0},
    {"GALEX", 15.292, -12.6, 0.7, 0.05, 1, 0},
    {"UVOT", 14.742, -12.9, 0.12, 0.02, 4, 0},
    {"UVOT", 14.838, -13.0, 0.12, 0.02, 4, 0},
    {"UVOT", 14.937, -13.0, 0.12, 0.02, 4, 0},
    {"UVOT", 15.061, -13.1, 0.12, 0.02, 4, 0},
    {"UVOT", 15.126, -13.1, 0.12, 0.02, 4, 0},
    {"UVOT", 15.17, -13.1, 0.12, 0.02, 4, 0},
    {"RASS", 17.383, -12.75, 1, 0.06, 1, 1},
    {"XMMSL", 17.684, -11.9, 0.6, 0.08, 1, 1},
    {"4XMM", 17.1, -14.0, 0.1, 0.03, 1, 0},
    {"4XMM", 17.4, -14.2, 0.1, 0.03, 1, 0},
    {"4XMM", 17.7, -14.1, 0.1, 0.03, 1, 0},
    {"4XMM", 18.0, -13.8, 0.1, 0.04, 1, 0},
    {"CSC", 17.52, -14.3, 0.1, 0.04, 1, 0},
    {"SXPS", 17.14, -13.2, 0.15, 0.04, 4, 1},
    {"SXPS", 17.53, -13.3, 0.15, 0.04, 4, 1},
    {"SXPS", 18.03, -13.1, 0.15, 0.05, 4, 1},
    {"BAT", 18.9, -11.1, 1, 0.1, 1, 0},
    {"4FGL", 22.22, -11.6, 1, 0.08, 1, 1},
    {"4FGL", 22.59, -11.8, 1, 0.06, 1, 1},
    {"4FGL", 22.96, -12.1, 1, 0.05, 1, 1},
    {"4FGL", 23.33, -12.2, 1, 0.05, 1, 1},
    {"4FGL", 23.83, -12.2, 1, 0.06, 1, 1},
    {"4FGL", 24.44, -12.1, 1, 0.08, 1, 1},
    {"4FGL", 25.16, -12.0, 1, 0.1, 1, 1},
    {"VHE", 25.68, -12.1, 0.03, 0.08, 1, 0},
    {"VHE", 26.0, -12.2, 0.03, 0.1, 1, 0},
};
/* clang-format on */
enum { N_SKY = sizeof sky / sizeof sky[0] };

typedef struct model_sed { /* log10 nuFnu at the nodes */
    double jet[NODES];
    double rest[NODES];
} model_sed;

static double node_nu(int k) {
    return LOWEST_NU + 0.1 * k;
}

/* log10 of a + b. */
static double add_logs(double a, double b) {
    double hi = fmax(a, b);
    double lo = fmin(a, b);
    return hi + log10(1 + pow(10, lo - hi));
}

/* Adds f, but not less than 10^-60, to the log10 sum *v. */
static void add_log(double *v, double f) {
    double least = fmax(f, -60);
    *v = add_logs(*v, least);
}

static double at_nodes(const double *v, double nu) {
    double u = (nu - LOWEST_NU) / 0.1;
    double inside = fmin(fmax(u, 0), NODES - 2);
    int k = (int)inside;
    double step = v[k + 1] - v[k];
    return v[k] + (u - k) * step;
}

/* 10 to the power of a normal number. */
static double power_of_ten(bml_classify_rng *r, double mean, double sd) {
    return pow(10, normal(r, mean, sd));
}

/* 1 with this probability. */
static int chance(bml_classify_rng *r, double share) {
    return uniform(r, 0, 1) < share;
}

/* Adds a power law F ~ nu^-alpha through (nu, level), cut exponentially above 10^cut and below 10^low [Hz]. */
static void add_power(double *v, double nu, double level, double alpha, double low, double cut) {
    for (int k = 0; k < NODES; k++) {
        double x = node_nu(k);
        double above = pow(10, x - cut);
        double below = pow(10, low - x);
        double line = level + (1 - alpha) * (x - nu);
        double f = line - 0.4343 * (above + below);
        add_log(&v[k], f);
    }
}

/* Adds a black body of log10 temperature T [K], redshifted, its peak of nuFnu at `level`. */
static void add_black_body(double *v, double T, double z, double level) {
    for (int k = 0; k < NODES; k++) {
        double x = pow(10, node_nu(k) - T - 10.3188) * (1 + z); /* h nu/kT: 10.3188 = log10 k/h */
        double f = -60;
        if (x < 600) {
            f = level + 4 * log10(x) - log10(expm1(x)) - 0.6794; /* x^4/(e^x-1) is 4.780 at most */
        }
        add_log(&v[k], f);
    }
}

/* A Gaussian about `at`, 1 at its top. */
static double line_profile(double x, double at, double width) {
    double u = (x - at) / width;
    return exp(-pow(u, 2) / 2);
}

/* Disc, dust, corona of a quasar at redshift z whose disc has nuFnu `level` at 2500 A in its own frame. */
static void add_quasar(double *v, bml_classify_rng *r, double z, double level, double corona) {
    double shift = log10(1 + z);
    double red = -0.03 * log(bml_classify_rng_uniform(r));
    double slope = normal(r, 0.35, 0.2);
    double disc[NODES];
    for (int k = 0; k < NODES; k++) {
        disc[k] = -60;
    }
    double disc_cut = normal(r, 15.6, 0.1) - shift;
    add_power(disc, 15.079 - shift, level, slope, 13.8 - shift, disc_cut);
    for (int k = 0; k < NODES; k++) { /* dust of the host; a bump of iron and Balmer lines about 3000 A, H alpha */
        double x = node_nu(k) + shift;
        if (x < 16) {
            disc[k] -= 0.4 * 3.1 * red * pow(10, 1.2 * (x - 14.74));
        }
        double iron = line_profile(x, 15, 0.08);
        double h_alpha = line_profile(x, 14.66, 0.03);
        disc[k] += 0.1 * iron + 0.08 * h_alpha;
        add_log(&v[k], disc[k]);
    }
    double hot = normal(r, -0.15, 0.2);
    double warm = normal(r, -0.2, 0.25);
    double cold = normal(r, -0.6, 0.4);
    add_black_body(v, 3.08, z, level + hot);
    add_black_body(v, 2.35, z, level + warm);
    add_black_body(v, 1.65, z, level + cold);
    double corona_cut = normal(r, 19.6, 0.2) - shift; /* drawn by name: the order of arguments is the compiler's */
    double corona_alpha = normal(r, 0.9, 0.2);
    add_power(v, 17.684 - shift, level + corona, corona_alpha, 16 - shift, corona_cut);
}

/* An AGN that is no blazar. */
static void draw_other(model_sed *m, bml_classify_rng *r) {
    double z = exp(normal(r, 0.1, 0.55));
    int loud = chance(r, 0.22);
    int flat = chance(r, loud ? 0.25 : 0.15);
    for (int k = 0; k < NODES; k++) {
        m->jet[k] = -60;
        m->rest[k] = -60;
    }
    double corona = normal(r, -1.5, 0.35);
    add_quasar(m->rest, r, z, 0, corona);
    if (z < 0.6) {
        double host = normal(r, -0.7, 0.4);
        add_black_body(m->rest, 3.65, z, host);
    }
    double loudness = loud ? normal(r, 2.2, 0.7) : normal(r, 0.6, 0.5); /* log10 of F(5 GHz)/F(4400 A) */
    double alpha = flat ? normal(r, 0.15, 0.25) : normal(r, 0.75, 0.2);
    double radio = loudness - 5.13;
    double low = flat ? normal(r, 8.6, 0.5) : 6;
    double *part = flat ? m->jet : m->rest;
    add_power(part, 9.7, radio, alpha, low, 11.7);
    if (loud) {
        add_power(m->rest, 17.684, radio + 1.7, 0.7, 15, 20.5); /* the X-rays that come with a jet */
    }
}

/* What stands behind and beside the zone of a blazar; the zone's nuFnu is in m->jet. */
static void draw_rest(model_sed *m, bml_classify_rng *r, const settings *s, double z, int disc) {
    double peak = -60;
    for (int k = 45; k < 100; k++) {
        peak = fmax(peak, m->jet[k]); /* 10^11.5 to 10^17 Hz */
    }
    double optical = at_nodes(m->jet, 14.603);
    for (int k = 0; k < NODES; k++) {
        double tev = pow(10, node_nu(k) - 26.383);
        double tau = pow(tev / 0.3, 1.1) * z / 0.5; /* background light, roughly */
        m->jet[k] = fmax(m->jet[k] - 0.4343 * tau, -60);
        m->rest[k] = -60;
    }
    double brightest = fmin(peak, optical + 2.5);
    double offset = normal(r, disc ? -2.6 : -2.2, 0.35);
    double core = brightest + offset + s->radio_gap;
    double core_low = normal(r, 7.5, 0.5);
    double core_alpha = normal(r, 0.15, 0.25);
    add_power(m->jet, 9.7, core, core_alpha, core_low, 11.7);
    double lobe_alpha = normal(r, 0.8, 0.15);
    double lobe = core + normal(r, -0.9, 0.5);
    add_power(m->rest, 9.7, lobe, lobe_alpha, 6, 11.5);
    if (disc) {
        double corona = normal(r, -1.5, 0.35);
        double level = optical + normal(r, 0.4, 0.45) + s->veil;
        add_quasar(m->rest, r, z, level, corona);
    } else {
        double host = optical + normal(r, -0.2, 0.5) + s->veil;
        add_black_body(m->rest, 3.65, z, host);
    }
}

/* log10 nuFnu of jet and rest together, the jet brighter by `flare` dex. */
static double seen_flux(const model_sed *m, double nu, double flare, double rest) {
    double jet = at_nodes(m->jet, nu);
    double other = at_nodes(m->rest, nu);
    return add_logs(jet + flare, other + rest);
}

/* One band on one night. */
static void observe_band(sed_set *set, const model_sed *m, bml_classify_rng *r, const catalogue_band *c, int first,
                         int night, int seen) {
    bml_classify_rng epoch; /* the same for all bands of a catalogue */
    uint64_t seed = r->key[0] + ((uint64_t)r->key[1] << 32);
    uint64_t source = (uint64_t)set->n << 20;
    uint64_t look = (uint64_t)(64 * first + night);
    uint64_t stream = ((uint64_t)1 << 45) + look + source;
    bml_classify_rng_init(&epoch, seed, stream);
    double flare = normal(&epoch, 0, 0.25);
    double rest = normal(&epoch, 0, 0.06);
    double f = seen_flux(m, c->nu, flare, rest);
    double noise = 0.087 * pow(10, c->depth - f); /* 5 sigma at the depth */
    double square = c->error * c->error + pow(noise, 2);
    double e = sqrt(square);
    int limited = c->limits && (seen || strcmp(c->catalogue, "4FGL"));
    if (f > c->depth) {
        double flux = normal(r, f, e);
        add_point(set, c->nu, flux, e, 0);
    } else if (limited && !night) {
        double limit = c->depth + normal(r, 0, 0.05);
        add_point(set, c->nu, limit, 0, 1);
    }
}

/* An X-ray spectrum of the bright: its bins fall where the counts put them. */
static void observe_xrays(sed_set *set, const model_sed *m, bml_classify_rng *r) {
    double f = seen_flux(m, 17.4, 0, 0);
    double flare = normal(r, 0, 0.25);
    int bins = 6 + (int)(10 * (f + 12.6));
    if (!(f > -12.6) || !chance(r, 0.25)) {
        return;
    }
    for (int i = 0; i < bins && i < 30; i++) {
        double place = i + uniform(r, 0, 1);
        double nu = 16.9 + 1.3 * place / bins;
        double own = seen_flux(m, nu, flare, 0);
        double flux = normal(r, own, 0.06);
        add_point(set, nu, flux, 0.06, 0);
    }
}

/* Whether any band of the catalogue whose first band is sky[first] would detect m. */
static int seen_at_all(const model_sed *m, int first) {
    for (int k = first; k < N_SKY; k++) {
        const catalogue_band *c = &sky[k];
        if (strcmp(c->catalogue, sky[first].catalogue)) {
            return 0;
        }
        if (seen_flux(m, c->nu, 0, 0) > c->depth) {
            return 1;
        }
    }
    return 0;
}

/* Adds to the set what the catalogues see of m. */
static void observe(sed_set *set, const model_sed *m, bml_classify_rng *r) {
    int nights = 0;
    int first = 0;
    int seen = 0;
    for (int i = 0; i < N_SKY; i++) {
        const catalogue_band *c = &sky[i];
        if (!i || strcmp(c->catalogue, sky[i - 1].catalogue)) {
            nights = 0;
            if (chance(r, c->share)) {
                nights = 1 + (int)uniform(r, 0, c->nights);
            }
            first = i;
            seen = seen_at_all(m, i);
        }
        for (int night = 0; night < nights; night++) {
            observe_band(set, m, r, c, first, night, seen);
        }
    }
    observe_xrays(set, m, r);
}

/* Parameters of a blazar's zone: ranges of fitted SEDs (Ghisellini et al. 2010, MNRAS 402, 497; Rodrigues et al.
   2024). */
static void draw_zone(bml_ssc_source *q, bml_ssc_observer *o, bml_ssc_external *x, bml_classify_rng *r, int disc) {
    double peak = uniform(r, 0, 1); /* BL Lacs: from low to high synchrotron peak */
    memset(q, 0, sizeof *q);
    memset(o, 0, sizeof *o);
    memset(x, 0, sizeof *x);
    q->R = power_of_ten(r, disc ? 16.3 : 16.0, 0.3);
    q->B = power_of_ten(r, disc ? 0.1 : -0.9, 0.3);
    q->injection = BML_SSC_BROKEN;
    q->gamma_min = pow(10, uniform(r, 0.3, disc ? 1.7 : 2.7));
    double scatter = normal(r, 0, disc ? 0.3 : 0.2);
    double log_break = disc ? 2.6 : 3.2 + 1.8 * peak;
    q->gamma_break = pow(10, log_break + scatter);
    if (q->gamma_break < 2 * q->gamma_min) {
        q->gamma_break = 2 * q->gamma_min;
    }
    double decades = uniform(r, 1.2, 2);
    q->gamma_max = q->gamma_break * pow(10, decades);
    q->p = normal(r, 1.9, 0.2);
    q->p2 = q->p + uniform(r, 1, 2);
    q->compactness = power_of_ten(r, disc ? -3.2 : -4.3, 0.5);
    q->self_absorption = BML_SSC_SSA;
    double delta = normal(r, 15, 4);
    o->delta = fmin(fmax(delta, 6), 35);
    double log_z = disc ? normal(r, 0.1, 0.5) : normal(r, -1.1, 0.55);
    o->redshift = exp(log_z);
    x->kind = BML_SSC_BLACK_BODY;
    x->temperature = 3.4e4 * o->delta; /* Lyman alpha, boosted */
    double lines = power_of_ten(r, -2, 0.6);
    x->energy_density = 0.0265 * o->delta * o->delta * lines;
    if (disc) {
        q->external = x;
        q->n_external = 1;
    }
}

/* n zones, solved in one go: nuFnu[n][NODES]; those that fail are drawn anew. */
static void draw_zones(double *nuFnu, double *z, int *disc, int n, const settings *s) {
    bml_ssc_batch_job job = {0};
    bml_ssc_source *q = zeroed(n, sizeof *q);
    bml_ssc_observer *o = zeroed(n, sizeof *o);
    bml_ssc_external *x = zeroed(n, sizeof *x);
    bml_ssc *tables;
    double nu[NODES];
    int *status = zeroed(n, sizeof *status);
    int left = n;
    char why[BML_SSC_MESSAGE];
    if (bml_ssc_create(&tables, NULL, why)) {
        fail("%s", why);
    }
    for (int k = 0; k < NODES; k++) {
        nu[k] = pow(10, node_nu(k));
    }
    for (int i = 0; i < n; i++) {
        status[i] = -1;
    }
    job.out = nuFnu;
    job.status = status;
    job.sources = q;
    job.observers = o;
    job.grid = nu;
    job.n_sources = n;
    job.n = NODES;
    job.threads = (int)s->threads;
    for (int attempt = 0; attempt < MAX_TRIES && left; attempt++) {
        for (int i = 0; i < n; i++) {
            if (!status[i]) {
                continue;
            }
            bml_classify_rng r;
            uint64_t draw = (uint64_t)(i * MAX_TRIES + attempt);
            uint64_t stream = ((uint64_t)1 << 40) + draw;
            bml_classify_rng_init(&r, s->seed, stream);
            disc[i] = i % 10 < 7;
            draw_zone(&q[i], &o[i], &x[i], &r, disc[i]);
            z[i] = o[i].redshift;
        }
        bml_ssc_batch(&job, tables);
        left = 0;
        for (int i = 0; i < n; i++) {
            left += status[i] != 0;
        }
    }
    if (left) {
        fail("%d of %d simulated zones did not converge", left, n);
    }
    bml_ssc_free(tables);
    free(q);
    free(o);
    free(x);
    free(status);
}

/* Source i, drawn until it is detected at 1.4 GHz; zone[NODES] is the jet's nuFnu, NULL for no blazar. */
static void draw_source(sed_set *set, model_sed *m, int i, const double *zone, double z, int disc, const settings *s) {
    size_t n_points = set->n_points;
    long limits = set->limits;
    char name[NAME];
    const char *jet = disc ? "fsrq" : "bllac";
    snprintf(name, sizeof name, "%s %05d", zone ? jet : "other", i);
    for (long attempt = 0; attempt < 1000; attempt++) {
        bml_classify_rng r;
        uint64_t stream = (uint64_t)i + ((uint64_t)attempt << 24);
        bml_classify_rng_init(&r, s->seed, stream);
        for (int k = 0; k < NODES && zone; k++) {
            double flux = fmax(zone[k], 1e-60);
            m->jet[k] = log10(flux);
        }
        if (zone) {
            draw_rest(m, &r, s, z, disc);
        } else {
            draw_other(m, &r);
        }
        double optical = seen_flux(m, 14.603, 0, 0);
        double shift = normal(&r, zone ? -12.15 : -12.4, 0.4) - optical;
        for (int k = 0; k < NODES; k++) {
            m->jet[k] += shift;
            m->rest[k] += shift;
        }
        if (attempt) {
            set->n--;
            set->n_points = n_points;
            set->limits = limits;
        }
        add_sed(set, name, zone != NULL);
        observe(set, m, &r);
        double off = set->point[n_points].nu - sky[0].nu;
        if (fabs(off) < 1e-6) {
            return; /* the first catalogue has seen it */
        }
    }
    fail("the simulator: source %d is never seen at 1.4 GHz", i);
}

/* The whole sample, a fifth of it blazars. */
static void simulate(sed_set *set, const settings *s) {
    int n = (int)s->simulate;
    int jets = n / 5;
    int *disc = zeroed(jets, sizeof *disc);
    double *zone = zeroed(jets * NODES, sizeof *zone);
    double *z = zeroed(jets, sizeof *z);
    model_sed *m = zeroed(1, sizeof *m);
    draw_zones(zone, z, disc, jets, s);
    for (int i = 0; i < n; i++) {
        if (i < jets) {
            const double *own = zone + (size_t)i * NODES;
            draw_source(set, m, i, own, z[i], disc[i], s);
        } else {
            draw_source(set, m, i, NULL, 0, 0, s);
        }
    }
    free(disc);
    free(zone);
    free(z);
    free(m);
}
#endif
