/* proton_net.h: what a network of train_surrogate --protons is told and says: sources with electrons and protons. Include
   common.h, bml_nn.h and surrogate.h first. Public domain or MIT, see LICENSE.

   Inputs: the six of the SSC solver, then log10 l_p, log10 gamma_p_max, p_p; t = 5 R/c, gamma_p_min 1, pairs. Outputs:
   log10(x^2 n) of photons at log10 x = -14 ... 10, then log10(x^2 Q) of neutrinos at 5 ... 13, in steps of 0.25, as
   bml_ssc_spectrum and bml_hadron_spectrum have them. What lies PROTON_DEPTH dex below a spectrum's peak it does not
   know: there it says no more than that. */
#ifndef PROTON_NET_H
#define PROTON_NET_H

enum { PROTON_ROW = 9, PHOTON_NODES = 97, NEUTRINO_NODES = 33, PROTON_NODES = PHOTON_NODES + NEUTRINO_NODES };
enum { PROTON_DEPTH = 8 };

/* A run of nodes, as one spectrum. */
typedef struct proton_part {
    const char *name;
    double first;
    int from, n;
} proton_part;
static const proton_part proton_parts[2] = {{"photons", -14, 0, PHOTON_NODES},
                                            {"neutrinos", 5, PHOTON_NODES, NEUTRINO_NODES}};
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
    if (!(u >= 0 && u <= part->n - 1)) return -HUGE_VAL;
    int i = (int)u - 1;
    i = i < 0 ? 0 : i > part->n - 4 ? part->n - 4 : i;
    const float *y = node + part->from + i;
    const double w = u - i - 1; /* from the second of them */
    const double a = (double)y[0] * w * (w - 1) * (w - 2) / -6;
    const double b = (double)y[1] * (w + 1) * (w - 1) * (w - 2) / 2;
    const double c = (double)y[2] * (w + 1) * w * (w - 2) / -2;
    const double d = (double)y[3] * (w + 1) * w * (w - 1) / 6;
    return a + b + c + d;
}

/* Reads such a file; domain [2][PROTON_ROW] is where it was trained. Returns 0, or -1 with err. */
static inline int proton_net_load(bml_nn **net, float *domain, int *ssa, const char *path, char *err) {
    char why[BML_NN_MESSAGE];
    size_t n = 0;
    const int status = bml_nn_load(net, path, why);
    if (status) return error_set(err, "%.300s: %s %.150s", path, bml_nn_strerror(status), why);
    const char *kind = bml_nn_get_text(*net, "surrogate_kind");
    const char *row = bml_nn_get_text(*net, "surrogate_parameters");
    const int physics = surrogate_index(surrogate_physics, 4, bml_nn_get_text(*net, "surrogate_physics"));
    const float *range = bml_nn_get_array(*net, "surrogate_domain", &n);
    const int known = kind && !strcmp(kind, "protons") && row && !strcmp(row, proton_row_text) && physics >= 2;
    if (known && range && n == 2 * PROTON_ROW && bml_nn_n_in(*net) == PROTON_ROW &&
        bml_nn_n_out(*net) == PROTON_NODES) {
        memcpy(domain, range, n * sizeof *domain);
        *ssa = physics & 1;
        return 0;
    }
    bml_nn_free(*net);
    *net = NULL;
    return error_set(err, "%.300s: is no network of train_surrogate --protons", path);
}
#endif
