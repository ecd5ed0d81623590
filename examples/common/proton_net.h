/* proton_net.h: what a network of train_surrogate --protons is told and says: sources with electrons and protons. Include
   common.h, bml_nn.h and surrogate.h first. Public domain or MIT, see LICENSE.

   Inputs: the six of the SSC solver, then log10 l_p, log10 gamma_p_max, p_p; t = 5 R/c, gamma_p_min 1, pairs. Outputs:
   log10(x^2 n) of photons at log10 x = -14 ... 10, then log10(x^2 Q) of neutrinos at 5 ... 13, in steps of 0.25, as
   bml_ssc_spectrum and bml_hadron_spectrum have them. What lies PROTON_DEPTH dex below a spectrum's peak it does not
   know: there it says no more than that. */
#ifndef PROTON_NET_H
#define PROTON_NET_H

enum { PROTON_ROW = 9 };
enum { PHOTON_NODES = 97 };
enum { NEUTRINO_NODES = 33 };
enum { PROTON_NODES = PHOTON_NODES + NEUTRINO_NODES };
enum { PROTON_DEPTH = 8 };

/* A run of nodes, as one spectrum. */
typedef struct proton_part {
    const char *name;
    double first;
    int from;
    int n;
} proton_part;
static const proton_part proton_parts[2] = {
    {"photons", -14, 0, PHOTON_NODES},
    {"neutrinos", 5, PHOTON_NODES, NEUTRINO_NODES},
};
static const double proton_step = 0.25;

static const char proton_row_text[] = "log10 R [cm], log10 B [G], log10 gamma_min, log10 gamma_max, log10 l_e, p, "
                                      "log10 l_p, log10 gamma_p_max, p_p";

static inline double proton_node(const proton_part *part, int k) {
    return part->first + proton_step * k;
}

/* A spectrum at log10_x from the outputs node [PROTON_NODES]: the cubic through four nodes, which is right to 3/128 of
   the fourth difference; -HUGE_VAL outside. */
static inline double proton_net_at(const float *node, const proton_part *part, double log10_x) {
    const double u = (log10_x - part->first) / proton_step;
    const int last_first = part->n - 4;
    if (!(u >= 0 && u <= part->n - 1)) return -HUGE_VAL;
    int first = (int)u - 1;
    if (first > last_first) first = last_first;
    if (first < 0) first = 0;
    const float *y = node + part->from + first;
    const double w0 = u - first; /* from each of them, in steps */
    const double w1 = w0 - 1;
    const double w2 = w0 - 2;
    const double w3 = w0 - 3;
    double sum = (double)y[0] * w1 * w2 * w3 / -6;
    sum += (double)y[1] * w0 * w2 * w3 / 2;
    sum += (double)y[2] * w0 * w1 * w3 / -2;
    sum += (double)y[3] * w0 * w1 * w2 / 6;
    return sum;
}

/* Whether a net says of itself that it is such a one; *physics: its row of surrogate_physics. */
static inline int proton_net_known(const bml_nn *net, int *physics) {
    const char *kind = bml_nn_get_text(net, "surrogate_kind");
    const char *row = bml_nn_get_text(net, "surrogate_parameters");
    const char *solver = bml_nn_get_text(net, "surrogate_physics");
    *physics = surrogate_index(surrogate_physics, 4, solver);
    if (!kind || strcmp(kind, "protons")) return 0;
    if (!row || strcmp(row, proton_row_text)) return 0;
    if (bml_nn_n_in(net) != PROTON_ROW) return 0;
    if (bml_nn_n_out(net) != PROTON_NODES) return 0;
    return *physics >= 2;
}

/* Reads such a file; domain [2][PROTON_ROW] is where it was trained. Returns 0, or -1 with err. */
static inline int proton_net_load(bml_nn **net, float *domain, int *ssa, const char *path, char *err) {
    char why[BML_NN_MESSAGE];
    const size_t wanted = 2 * PROTON_ROW;
    size_t n = 0;
    int physics;
    const int status = bml_nn_load(net, path, why);
    if (status) return surrogate_file_error(err, path, status, why);
    const float *range = bml_nn_get_array(*net, "surrogate_domain", &n);
    const int known = proton_net_known(*net, &physics);
    if (known && range && n == wanted) {
        memcpy(domain, range, wanted * sizeof *domain);
        *ssa = physics & 1;
        return 0;
    }
    bml_nn_free(*net);
    *net = NULL;
    return error_set(err, "%.300s: is no network of train_surrogate --protons", path);
}
#endif
