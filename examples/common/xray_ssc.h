/* xray_ssc.h: one-zone synchrotron self-Compton sources as components of X-ray models: `ssc`, and `ebl{FILE}`, the
   absorption of gamma rays on the way. So tbabs*ebl{tau.csv}*ssc can be fitted to counts, from X-rays to TeV, and to
   flux points, in one likelihood.

     xray_ssc *ssc;
     xray_library library = {0};
     if (xray_ssc_create(&ssc, NULL, threads, why)) fail("%s", why);        NULL: by the solver, else a network's file
     library.extra[library.n++] = xray_ssc_extra(ssc);
     if (xray_model_parse_with(&model, "tbabs*ssc", &library, err)) fail("%s", err);
     ...
     xray_ssc_free(ssc);

   Parameters of ssc, as fit_sed calls them: log_R [cm], log_B [G], log_gamma_min, log_gamma_max, log_l_e (injection
   compactness), p, log_delta (all log10), Redshift (held unless freed; it must be given). The source is that of
   bml_ssc_solve at t = 5 R/c, without self-absorption and pair production, unless the network's file says otherwise
   (cosmology: that of bml_ssc.h). A solution serves all spectra and bands that are asked of it: each thread keeps its
   last one, as ln nuFnu at 40 points a decade from 1e8 to 1e30 Hz, cubics between.
   ebl{FILE}: a table of optical depths as ebl.h reads it; parameter Redshift. Above the table's last energy the factor
   is NaN, and so the model, unless nothing is left there (tau > 10).
   When NOT to use it: for what one zone does not have; for networks outside of the ranges they were trained for, where
   the model is NaN. Include bml_ssc.h, bml_nn.h, surrogate.h, ebl.h and xray.h first. Public domain or MIT, see
   LICENSE. */
#ifndef XRAY_SSC_H
#define XRAY_SSC_H

enum { XRAY_SSC_PARS = 8 };
enum { XRAY_SSC_GRID = 881 };
enum { XRAY_SSC_THREADS = 256 };
static const double xray_ssc_lo = 8;          /* log10 Hz of the first point */
static const double xray_ssc_step = 0.025;    /* between points */
static const double xray_hz = 2.417989242e17; /* of a keV */

/* What a thread has of its own. */
typedef struct xray_ssc_room {
    bml_ssc_blob *blob;
    bml_nn_work *work;
    double par[XRAY_SSC_PARS];   /* of the spectrum that is kept */
    int known;                   /* 1: there is one; -1: these parameters have none */
    double nu[XRAY_SSC_GRID];    /* Hz */
    double value[XRAY_SSC_GRID]; /* ln nuFnu [erg/(cm2 s)] */
} xray_ssc_room;

typedef struct xray_ssc {
    bml_ssc *tables;
    surrogate net; /* net.net NULL: the solver */
    int n_rooms;
    xray_ssc_room *room;
} xray_ssc;

static inline void xray_ssc_free(xray_ssc *s) {
    if (!s) {
        return;
    }
    for (int i = 0; i < s->n_rooms && s->room; i++) {
        bml_ssc_blob_free(s->room[i].blob);
        bml_nn_work_free(s->room[i].work);
    }
    free(s->room);
    if (s->net.net) {
        surrogate_free(&s->net);
    }
    bml_ssc_free(s->tables);
    free(s);
}

/* *out for up to `threads` threads; net: a file of train_surrogate, or NULL. why [ERROR_SIZE]. 0, or -1 and *out NULL. */
static inline int xray_ssc_create(xray_ssc **out, const char *net, int threads, char *why) {
    char reason[BML_SSC_MESSAGE] = "out of memory";
    int bad = 0;
    xray_ssc *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s) {
        return error_set(why, "out of memory");
    }
    s->n_rooms = threads < XRAY_SSC_THREADS ? threads : XRAY_SSC_THREADS;
    s->room = xray_alloc((size_t)s->n_rooms, sizeof *s->room);
    if (net && surrogate_load(&s->net, net, why)) {
        xray_ssc_free(s);
        return -1;
    }
    bad = !s->room || (!net && bml_ssc_create(&s->tables, NULL, reason));
    for (int i = 0; i < s->n_rooms && !bad; i++) {
        xray_ssc_room *room = &s->room[i];
        if (net) {
            bad = bml_nn_work_create(&room->work, s->net.net, 1, 1, reason);
        } else {
            bad = bml_ssc_blob_create(&room->blob, s->tables, reason);
        }
    }
    if (bad) {
        xray_ssc_free(s);
        return error_set(why, "ssc: %.300s", reason);
    }
    for (int i = 0; i < s->n_rooms; i++) {
        double *nu = s->room[i].nu;
        for (int k = 0; k < XRAY_SSC_GRID; k++)
            nu[k] = pow(10, xray_ssc_lo + xray_ssc_step * k);
    }
    *out = s;
    return 0;
}

/* nuFnu at the room's frequencies by the solver. 0, or not. */
static inline int xray_ssc_solved(xray_ssc_room *room, const double *par) {
    bml_ssc_source source;
    bml_ssc_observer observer;
    memset(&source, 0, sizeof source);
    memset(&observer, 0, sizeof observer);
    bml_ssc_source_from_row(&source, par);
    observer.delta = pow(10, par[6]);
    observer.redshift = par[7];
    if (!(par[7] > 0) || bml_ssc_solve(room->blob, &source)) {
        return -1;
    }
    return bml_ssc_sed(room->value, room->nu, XRAY_SSC_GRID, room->blob, &observer, BML_SSC_TOTAL);
}

/* The same by the network: nu L_nu = 10^y R 4 pi m_e c^3/(3 sigma_T) delta^4. */
static inline int xray_ssc_predicted(xray_ssc *s, xray_ssc_room *room, const double *par) {
    float input[SURROGATE_INPUTS];
    float node[SURROGATE_NODES];
    surrogate_frame f;
    double distance = bml_ssc_luminosity_distance(par[7], 70, 0.3);
    double log10_mc2 = log10(1.235589964e20); /* m_e c^2/h [Hz] */
    if (!(par[7] > 0) || surrogate_outside(&s->net.domain, par)) {
        return -1;
    }
    surrogate_place(&f, input, s->net.kind, s->net.grid, par);
    if (bml_nn_predict(s->net.net, room->work, node, input, 1)) {
        return -1;
    }
    const double pi = 3.14159265358979;
    const double mc2 = 8.1871057769e-7; /* [erg] */
    const double light = 2.99792458e10; /* [cm/s] */
    double power = log10(4.0 / 3 * pi * mc2 * light / 6.6524587321e-25);
    double sphere = log10(4 * pi * distance * distance);
    double unit = power + par[0] + 4 * par[6] - sphere;
    double log10_z = log10(1 + par[7]);
    for (int k = 0; k < XRAY_SSC_GRID; k++) {
        double log10_nu = xray_ssc_lo + xray_ssc_step * k;
        double log10_x = log10_nu + log10_z - par[6] - log10_mc2;
        double y = surrogate_at(&s->net, &f, node, log10_x);
        room->value[k] = pow(10, unit + y);
    }
    return 0;
}

/* The spectrum of these parameters into the thread's room; NULL where there is none. */
static inline const xray_ssc_room *xray_ssc_spectrum(xray_ssc *s, const double *par) {
    int thread = thread_number();
    xray_ssc_room *room = &s->room[thread < s->n_rooms ? thread : 0];
    if (room->known && !memcmp(room->par, par, sizeof room->par)) {
        return room->known > 0 ? room : NULL;
    }
    memcpy(room->par, par, sizeof room->par);
    room->known = -1;
    int none;
    if (s->net.net) {
        none = xray_ssc_predicted(s, room, par);
    } else {
        none = xray_ssc_solved(room, par);
    }
    if (none) {
        return NULL;
    }
    for (int k = 0; k < XRAY_SSC_GRID; k++) {
        double *value = &room->value[k];
        *value = *value > 0 ? log(*value) : -700;
    }
    room->known = 1;
    return room;
}

/* ln nuFnu at a log energy, by cubics through four points; straight where it plunges. */
static inline double xray_ssc_at(const xray_ssc_room *room, double log_e) {
    double log10_nu = (log_e + log(xray_hz)) * 0.43429448190325183;
    double at = (log10_nu - xray_ssc_lo) / xray_ssc_step;
    if (!(at > 1) || at > XRAY_SSC_GRID - 3) {
        return -700;
    }
    int i = (int)at;
    const double *y = room->value + i;
    double t = at - i;
    double before = y[0] - y[-1];
    double rise = y[1] - y[0];
    double after = y[2] - y[1];
    double steepest = fmax(fmax(fabs(before), fabs(rise)), fabs(after));
    if (steepest > 1) {
        return y[0] + t * rise; /* a cubic through a cliff climbs before it falls */
    }
    double m = 0.5 * (y[1] - y[-1]);
    double p = 0.5 * (y[2] - y[0]);
    double third = 2 * (y[0] - y[1]) + m + p;
    double second = 3 * rise - 2 * m - p + t * third;
    return y[0] + t * (m + t * second);
}

static inline void xray_ssc_eval(double *out, const xray_grid *g, const double *par, void *user) {
    const xray_ssc_room *room = xray_ssc_spectrum(user, par);
    for (int i = 0; i < g->n; i++) {
        double sum = 0;
        for (int k = 0; k < 3 && room; k++) {
            int at = k * g->n + i;
            double e = g->node[at];
            double flux = exp(xray_ssc_at(room, g->log_node[at]));
            sum += g->weight[at] * flux / (e * e);
        }
        out[i] = room ? sum / xray_erg : (double)NAN;
    }
}

static inline xray_extra xray_ssc_extra(xray_ssc *s) {
    static const xray_par par[XRAY_SSC_PARS] = {
        {"log_R", "cm", 13, 20, 15, 17, 0, 0, 0, 1},     {"log_B", "G", -4, 3, -2, 0.5, 0, 0, 0, 1},
        {"log_gamma_min", "", 0.1, 6, 1, 4, 0, 0, 0, 1}, {"log_gamma_max", "", 2, 9, 5, 7, 0, 0, 0, 1},
        {"log_l_e", "", -8, 1, -5.5, -3, 0, 0, 0, 1},    {"p", "", 1, 5, 1.6, 2.8, 0, 0, 0, 1},
        {"log_delta", "", 0, 3, 0.8, 1.7, 0, 0, 0, 1},   {"Redshift", "", 0, 10, 0.01, 1, 0, 1, (double)NAN, 1}};
    xray_extra e;
    memset(&e, 0, sizeof e);
    strcpy(e.name, "ssc");
    e.how = XRAY_ADDS;
    e.n_par = XRAY_SSC_PARS;
    memcpy(e.par, par, sizeof par);
    for (int k = 0; k < 6 && s->net.net; k++) { /* a network's own ranges */
        e.par[k].lo = s->net.domain.lo[k];
        e.par[k].hi = s->net.domain.hi[k];
    }
    e.eval = xray_ssc_eval;
    e.user = s;
    return e;
}

/* ==== absorption by the extragalactic background light ============================================================ */

static inline void xray_ebl_eval(double *out, const xray_grid *g, const double *par, void *user) {
    const ebl_table *table = user;
    const bml_ssc_ebl *tau = &table->tau;
    double top = pow(10, table->log10_nu[tau->n_nu - 1]);
    for (int i = 0; i < g->n; i++) {
        double depth = 0;
        double nu = sqrt(g->edge[i] * g->edge[i + 1]) * xray_hz;
        double asked = nu < top ? nu : top;
        int bad = bml_ssc_ebl_depth(&depth, tau, par[0], asked);
        int beyond = nu > top && depth < 10;
        out[i] = bad || beyond ? (double)NAN : exp(-depth);
    }
}

static inline xray_extra xray_ebl_extra(ebl_table *table) {
    static const xray_par z = {"Redshift", "", 0, 10, 0.01, 1, 0, 1, (double)NAN, 0};
    xray_extra e;
    memset(&e, 0, sizeof e);
    strcpy(e.name, "ebl");
    e.how = XRAY_MULTIPLIES;
    e.n_par = 1;
    e.par[0] = z;
    e.eval = xray_ebl_eval;
    e.user = table;
    return e;
}
#endif
