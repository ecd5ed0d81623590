/* surroundings.h: what stands around a blazar's blob, by name: the fields whose photons it scatters, that absorb its
   gamma rays, and that shine beside it.

     surroundings s = {.fields = AROUND_BLR | AROUND_TORUS, .shines = AROUND_DISC, .distance = 3e17, .Gamma = 20, ...};
     bml_ssc_external field[AROUND_FIELDS];
     source.external = field;
     source.n_external = surroundings_fields(field, &s);
     source.distance = s.distance; source.Gamma = s.Gamma; source.delta = ...
     bml_ssc_solve(blob, &source); bml_ssc_sed(flux, nu, n, blob, &observer, BML_SSC_TOTAL);
     if (surroundings_absorb(flux, nu, n, &s, why)) ...            flux times exp(-tau)
     if (surroundings_add(flux, nu, n, &s, s.shines, &observer, why)) ...      disc, torus and host galaxy

   Names: blr (shell of Lyman alpha, of radius R_blr), lines (25 broad lines, each on its own shell; R_blr: of H beta),
   torus (ring of one temperature), disc (multi-temperature), cmb, grey (a grey body, isotropic in the blob's frame); host
   (giant elliptical). Geometry, equations and sources: bml_ssc.h, (15)-(21). Include bml_ssc.h first.
   No printing, no exit; threads may share a const surroundings. Public domain or MIT, see LICENSE. */
#ifndef SURROUNDINGS_H
#define SURROUNDINGS_H
#include "common.h"
#include <stddef.h>

enum {
    AROUND_BLR = 1,
    AROUND_TORUS = 2,
    AROUND_DISC = 4,
    AROUND_CMB = 8,
    AROUND_GREY = 16,
    AROUND_HOST = 32,
    AROUND_LINES = 64,
    AROUND_CLOUDS = AROUND_BLR | AROUND_LINES,                  /* either, of the same radius and fraction */
    AROUND_PLACED = AROUND_CLOUDS | AROUND_TORUS | AROUND_DISC, /* the distance decides what the blob sees of them */
    AROUND_SCATTERED = AROUND_PLACED | AROUND_CMB | AROUND_GREY,
    AROUND_SHINING = AROUND_DISC | AROUND_TORUS | AROUND_HOST,
    AROUND_FIELDS = 4 + BML_SSC_LINE_SHELLS, /* at most */
    AROUND_NAMES = 7
};
static const char *const around_names[AROUND_NAMES] = {"blr", "torus", "disc", "cmb", "grey", "host", "lines"};

typedef struct surroundings {
    int fields, shines;               /* sets of AROUND_...: scattered and absorbing; seen by themselves */
    int isotropic;                    /* the isotropic kernel for geometric fields, as simple models do */
    double distance;                  /* of the blob from the black hole [cm] */
    double Gamma;                     /* bulk Lorentz factor of the blob */
    double redshift;                  /* of the source */
    double L_disc;                    /* [erg s^-1] */
    double M_bh;                      /* [solar masses] */
    double R_blr, f_blr;              /* radius [cm]; fraction of L_disc */
    double R_torus, f_torus, T_torus; /* radius [cm]; fraction of L_disc; [K] */
    double u_ext, T_ext;              /* grey body: energy density [erg cm^-3] and temperature [K], blob's frame */
    double L_host;                    /* nu L_nu in R [erg s^-1] */
} surroundings;

/* Members by the names and logarithms that users write. */
static const struct around_member {
    const char *name;
    size_t at;
    double lo, hi; /* log10 */
} around_members[] = {{"log_distance", offsetof(surroundings, distance), 10, 26},
                      {"log_Gamma", offsetof(surroundings, Gamma), 0, 4},
                      {"log_L_disc", offsetof(surroundings, L_disc), 30, 50},
                      {"log_M_bh", offsetof(surroundings, M_bh), 0, 12},
                      {"log_R_blr", offsetof(surroundings, R_blr), 12, 24},
                      {"log_f_blr", offsetof(surroundings, f_blr), -10, 0},
                      {"log_R_torus", offsetof(surroundings, R_torus), 12, 24},
                      {"log_f_torus", offsetof(surroundings, f_torus), -10, 0},
                      {"log_T_torus", offsetof(surroundings, T_torus), 0, 6},
                      {"log_u_ext", offsetof(surroundings, u_ext), -20, 10},
                      {"log_T_ext", offsetof(surroundings, T_ext), -3, 12},
                      {"log_L_host", offsetof(surroundings, L_host), 30, 50}};
enum { AROUND_MEMBERS = sizeof around_members / sizeof *around_members };

/* Sets a member from "log_distance=17.5". 0, or -1 with a line in err. */
static inline int surroundings_set(surroundings *s, const char *text, char *err) {
    const char *list[AROUND_MEMBERS];
    char name[64];
    double log_value = 0;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(text, "="), text);
    const char *value = text + strlen(name);
    for (int k = 0; k < AROUND_MEMBERS; k++) {
        const struct around_member *m = &around_members[k];
        list[k] = m->name;
        if (strcmp(m->name, name)) continue;
        const char *wrong = *value == '=' ? read_real(&log_value, value + 1) : "has no =VALUE";
        if (wrong) return error_set(err, "%.100s: '%.40s' %s", text, value + (*value == '='), wrong);
        if (!(log_value >= m->lo && log_value <= m->hi))
            return error_set(err, "%.100s: outside %g ... %g", text, m->lo, m->hi);
        *(double *)(void *)((char *)s + m->at) = pow(10, log_value);
        return 0;
    }
    const char *nearest = word_nearest(name, list, AROUND_MEMBERS);
    return error_set(err, "%.100s: no such name%s%s", text, nearest ? "; is it " : " (see --help)",
                     nearest ? nearest : "");
}

/* What is still 0 becomes usual: Gamma = delta; radii 1e17 and 2.5e18 cm (L_disc/1e45)^(1/2), fractions 0.1 and 0.5
   (Ghisellini & Tavecchio 2009, MNRAS 397, 985), a torus of 1000 K, 5e8 solar masses. */
static inline void surroundings_usual(surroundings *s, double delta) {
    const double root = sqrt(s->L_disc / 1e45);
    if (s->Gamma == 0) s->Gamma = delta;
    if (s->M_bh == 0) s->M_bh = 5.0119e8;
    if (s->R_blr == 0) s->R_blr = 1e17 * root;
    if (s->f_blr == 0) s->f_blr = 0.1;
    if (s->R_torus == 0) s->R_torus = 2.5e18 * root;
    if (s->f_torus == 0) s->f_torus = 0.5;
    if (s->T_torus == 0) s->T_torus = 1000;
}

/* Adds the names of "blr,torus" to a set; those in `known` are allowed. 0, or -1 with a line in err. */
static inline int surroundings_read(int *set, const char *text, int known, char *err) {
    while (*text) {
        const size_t length = strcspn(text, ",");
        int found = 0;
        char list[64] = "";
        for (int k = 0; k < AROUND_NAMES; k++) {
            if (!(known & (1 << k))) continue;
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", *list ? ", " : "", around_names[k]);
            if (strlen(around_names[k]) == length && !strncmp(around_names[k], text, length)) found = 1 << k;
        }
        if (!found && !(length == 4 && !strncmp(text, "none", 4)))
            return error_set(err, "'%.*s' is none of %s", (int)(length < 40 ? length : 40), text, list);
        *set |= found;
        text += length + (text[length] == ',');
    }
    if ((*set & AROUND_CLOUDS) == AROUND_CLOUDS)
        return error_set(err, "blr and lines are two pictures of the same clouds: one of them");
    return 0;
}

/* One field by its name. */
static inline bml_ssc_external surroundings_field(const surroundings *s, int which) {
    bml_ssc_external e;
    memset(&e, 0, sizeof e);
    e.L_disc = s->L_disc;
    e.isotropic = s->isotropic;
    switch (which) {
    case AROUND_BLR:
        e.kind = BML_SSC_FIELD_SHELL;
        e.radius = s->R_blr;
        e.fraction = s->f_blr;
        break;
    case AROUND_TORUS:
        e.kind = BML_SSC_FIELD_RING;
        e.radius = s->R_torus;
        e.fraction = s->f_torus;
        e.temperature = s->T_torus;
        break;
    case AROUND_DISC:
        e.kind = BML_SSC_FIELD_DISC;
        e.M_bh = s->M_bh;
        break;
    case AROUND_CMB:
        e.kind = BML_SSC_FIELD_CMB;
        e.redshift = s->redshift;
        break;
    default:
        e.kind = BML_SSC_BLACK_BODY;
        e.energy_density = s->u_ext;
        e.temperature = s->T_ext;
        e.L_disc = 0;
    }
    return e;
}

/* The shells of `lines`; field [BML_SSC_LINE_SHELLS] out. What is wrong with them their user will say. */
static inline int surroundings_lines(bml_ssc_external *field, const surroundings *s) {
    bml_ssc_broad_lines(field, s->L_disc, s->f_blr, s->R_blr, NULL);
    for (int i = 0; i < BML_SSC_LINE_SHELLS; i++)
        field[i].isotropic = s->isotropic;
    return BML_SSC_LINE_SHELLS;
}

/* The fields of the set that are also in `of`; field [AROUND_FIELDS] out. Returns how many. */
static inline int surroundings_some(bml_ssc_external *field, const surroundings *s, int of) {
    const int set = s->fields & of & AROUND_SCATTERED;
    int n = 0;
    for (int k = 0; k < AROUND_NAMES; k++) {
        if (!(set >> k & 1)) continue;
        if (1 << k == AROUND_LINES)
            n += surroundings_lines(field + n, s);
        else
            field[n++] = surroundings_field(s, 1 << k);
    }
    return n;
}

static inline int surroundings_fields(bml_ssc_external *field, const surroundings *s) {
    return surroundings_some(field, s, ~0);
}

/* flux [n] times exp(-tau) of broad lines, torus and disc on the way out; nu [n] in [Hz]. A status of bml_ssc.h, with
   its reason in why [BML_SSC_MESSAGE]. Photons below 40 MeV meet none that they could make a pair with: the hottest,
   of 1e6 K, have 3 keV at the most. */
static inline int surroundings_absorb(double *flux, const double *nu, int n, const surroundings *s, char *why) {
    enum { PIECE = 512 }; /* each walks along the path once */
    const double least = 1e22 / (1 + s->redshift);
    bml_ssc_external field[AROUND_FIELDS];
    const bml_ssc_path path = {field, surroundings_some(field, s, AROUND_PLACED), s->distance, s->redshift};
    double at[PIECE];
    double tau[PIECE];
    int row[PIECE];
    int waiting = 0;
    for (int i = 0; i < n && path.n_fields; i++) {
        if (nu[i] > least && flux[i] > 0) {
            at[waiting] = nu[i];
            row[waiting++] = i;
        }
        if (!waiting || (waiting < PIECE && i < n - 1)) continue;
        const int status = bml_ssc_field_depth(tau, at, waiting, &path, why);
        if (status) return status;
        for (int k = 0; k < waiting; k++)
            flux[row[k]] *= exp(-tau[k]);
        waiting = 0;
    }
    return BML_SSC_OK;
}

/* Adds the light of those in `which` (disc, torus, host) to flux [n] at nu [n]. Returns as above. */
static inline int surroundings_add(double *flux, const double *nu, int n, const surroundings *s, int which,
                                   const bml_ssc_observer *o, char *why) {
    enum { PIECE = 64 };
    static const int all[] = {AROUND_TORUS, AROUND_DISC, AROUND_HOST};
    double part[PIECE];
    for (int k = 0; k < 3; k++) {
        if (!(which & all[k])) continue;
        const bml_ssc_external e = surroundings_field(s, all[k]);
        for (int from = 0; from < n; from += PIECE) {
            const int count = n - from < PIECE ? n - from : PIECE;
            const int status = all[k] == AROUND_HOST ? bml_ssc_host_sed(part, nu + from, count, s->L_host, o)
                                                     : bml_ssc_thermal_sed(part, nu + from, count, &e, o, why);
            if (status) return status;
            for (int i = 0; i < count; i++)
                flux[from + i] += part[i];
        }
    }
    return BML_SSC_OK;
}

/* Energy density of all fields in the blob's frame [erg cm^-3]; NaN where one is refused. */
static inline double surroundings_energy(const surroundings *s) {
    bml_ssc_external field[AROUND_FIELDS];
    const int n = surroundings_fields(field, s);
    double sum = 0;
    for (int i = 0; i < n; i++) {
        double u = field[i].energy_density;
        if (field[i].kind != BML_SSC_BLACK_BODY && bml_ssc_field_energy(&u, &field[i], s->distance, s->Gamma, NULL))
            return (double)NAN;
        sum += u;
    }
    return sum;
}
#endif
