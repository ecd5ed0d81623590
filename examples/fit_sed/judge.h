/* judge.h: what a referee would ask of a fit: does the model fit the data, is the posterior inside its prior, has the
   sampler converged, is the source one that can be. Fills the verdict of fit_sed. Public domain or MIT, see LICENSE. */
#ifndef FIT_SED_JUDGE_H
#define FIT_SED_JUDGE_H
#include "draws.h"

/* ==== goodness of fit ============================================================================================= */

enum { GROUPS_MAX = 40 };

/* Some of the points: those of an instrument, or of a band. */
typedef struct group_fit {
    char name[SED_INSTRUMENT];
    int n;         /* detections */
    double chi2;   /* on the quoted errors */
    double p;      /* of chi2 for n degrees of freedom */
    double offset; /* mean of data less model [dex] */
    double spread; /* root mean square of that [dex] */
} group_fit;

typedef struct goodness {
    double *pull;     /* [sed.n] (data - best)/quoted error; NaN for limits */
    double *residual; /* [sed.n] data less best [dex]; NaN for limits */
    int n, dof;
    double chi2, log10_p;
    double scatter;      /* beyond the quoted errors [dex]: the posterior's median of f, else from the residuals */
    double median_error; /* quoted [dex] */
    double predictive;   /* posterior predictive p of chi^2, with the scatter */
    double runs;         /* p of as few changes of sign along frequency */
    int limits_broken, first_broken;
    group_fit instrument[GROUPS_MAX], band[GROUPS_MAX];
    int n_instruments, n_bands;
} goodness;

static const struct band {
    const char *name;
    double lo; /* [Hz] */
} fit_bands[] = {{"radio", 0},
                 {"infrared", 1e12},
                 {"optical-UV", 3e14},
                 {"X-ray", 3e16},
                 {"MeV", 1.2e20},
                 {"GeV", 2.4e22},
                 {"above 100 GeV", 2.417989242e25}};

static const char *band_of(double nu) {
    int k = 0;
    for (int i = 0; i < (int)(sizeof fit_bands / sizeof *fit_bands); i++)
        if (nu >= fit_bands[i].lo) {
            k = i;
        }
    return fit_bands[k].name;
}

/* log10 of the chance that chi^2 of n degrees of freedom exceeds a value: Gamma(n/2, chi2/2)/Gamma(n/2), by its series
   below n/2 + 1, by Lentz's continued fraction above. */
static double log10_tail(double chi2, double n) {
    const double a = n / 2;
    const double x = chi2 / 2;
    if (!(x > 0)) {
        return 0;
    }
    const double lead = a * log(x) - x - lgamma(a);
    if (x < a + 1) {
        double term = 1 / a;
        double sum = term;
        for (int k = 1; k < 10000 && term > 1e-16 * sum; k++) {
            term *= x / (a + k);
            sum += term;
        }
        return log10(fmax(1 - exp(lead) * sum, 1e-300));
    }
    double b = x + 1 - a;
    double c = 1e300;
    double d = 1 / b;
    double h = d;
    for (int k = 1; k < 10000; k++) {
        const double an = -k * (k - a);
        b += 2;
        d = 1 / (an * d + b);
        c = b + an / c;
        h *= c * d;
        if (fabs(c * d - 1) < 1e-14) {
            break;
        }
    }
    return (lead + log(h)) / 2.302585092994046;
}

/* The error of a point on the side of a residual [dex]. */
static double side_error(const bml_ssc_point *point, double residual) {
    return residual > 0 ? point->sigma_hi : point->sigma_lo;
}

static group_fit *group_named(group_fit *group, int *n, const char *name) {
    for (int i = 0; i < *n; i++)
        if (!strcmp(group[i].name, name)) {
            return &group[i];
        }
    if (*n == GROUPS_MAX) {
        return &group[GROUPS_MAX - 1];
    }
    snprintf(group[*n].name, sizeof group[*n].name, "%s", name);
    return &group[(*n)++];
}

static void group_add(group_fit *g, double residual, double pull) {
    g->n++;
    g->chi2 += pull * pull;
    g->offset += residual;
    g->spread += residual * residual;
}

static void group_end(group_fit *g) {
    g->offset /= g->n;
    g->spread = sqrt(g->spread / g->n);
    g->p = pow(10, log10_tail(g->chi2, g->n));
}

/* Chance of as few runs of one sign, or fewer, among n signs in a row (Wald & Wolfowitz 1940, normal approximation). */
static double runs_p(const double *residual, int n) {
    double above = 0;
    double below = 0;
    double runs = 0;
    double last = 0;
    for (int i = 0; i < n; i++) {
        if (!isfinite(residual[i])) {
            continue;
        }
        const double sign = residual[i] > 0 ? 1 : -1;
        above += sign > 0;
        below += sign < 0;
        runs += sign != last;
        last = sign;
    }
    const double m = above + below;
    if (above < 5 || below < 5) {
        return 1;
    }
    const double mean = 1 + 2 * above * below / m;
    const double variance = (mean - 1) * (mean - 2) / (m - 1);
    return 0.5 * erfc((mean - runs - 0.5) / sqrt(2 * variance));
}

/* Residuals of the best point, and what they sum up to. */
static void judge_best(goodness *q, const problem *p, const best_point *best) {
    double excess = 0;
    for (int i = 0; i < p->sed.n; i++) {
        const bml_ssc_point *d = &p->sed.point[i];
        q->pull[i] = q->residual[i] = (double)NAN;
        if (d->upper_limit) {
            const int broken = best->data[i] > d->nuFnu + 3 * d->sigma_hi;
            if (broken && !q->limits_broken) {
                q->first_broken = i;
            }
            q->limits_broken += broken;
            continue;
        }
        const double r = p->log_data[i] - log10_or_floor(best->data[i]);
        const double error = side_error(d, -r); /* of the model above the data: upwards */
        q->residual[i] = r;
        q->pull[i] = r / error;
        q->chi2 += q->pull[i] * q->pull[i];
        excess += r * r - error * error;
        q->n++;
        group_add(group_named(q->band, &q->n_bands, band_of(d->nu)), r, q->pull[i]);
        if (*p->sed.instrument[i]) {
            group_add(group_named(q->instrument, &q->n_instruments, p->sed.instrument[i]), r, q->pull[i]);
        }
    }
    q->dof = q->n - p->n_model;
    q->log10_p = q->dof > 0 ? log10_tail(q->chi2, q->dof) : 0;
    q->scatter = q->n && excess > 0 ? sqrt(excess / q->n) : 0;
    q->runs = runs_p(q->residual, p->sed.n);
    for (int i = 0; i < q->n_bands; i++)
        group_end(&q->band[i]);
    for (int i = 0; i < q->n_instruments; i++)
        group_end(&q->instrument[i]);
}

/* chi^2 of the data on quoted errors and scatter together, for one draw. */
static double chi2_of_draw(const problem *p, const double *flux, const double *full) {
    double chi2 = 0;
    for (int i = 0; i < p->sed.n; i++) {
        const bml_ssc_point *d = &p->sed.point[i];
        if (d->upper_limit) {
            continue;
        }
        const double r = log10_or_floor(flux[i]) - p->log_data[i];
        const double side = side_error(d, r);
        chi2 += r * r / (side * side + exp(2 * full[LN_F + p->group[i]]));
    }
    return chi2;
}

/* The scatter of a draw [dex]: with one for each instrument the root of their mean square over the points. */
static double scatter_of_draw(const problem *p, const double *full) {
    double sum = 0;
    int n = 0;
    for (int i = 0; i < p->sed.n; i++) {
        if (p->sed.point[i].upper_limit) {
            continue;
        }
        sum += exp(2 * full[LN_F + p->group[i]]);
        n++;
    }
    return n ? sqrt(sum / n) : 0;
}

/* The posterior predictive p-value of that chi^2: for Gaussian errors a replica's is chi^2 of n degrees (Gelman, Meng
   & Stern 1996), so the mean of its tails is exact. */
static void judge_draws(goodness *q, const problem *p, const draws *g) {
    double *f = malloc((size_t)g->n * sizeof *f);
    double full[N_PAR];
    double sum = 0;
    if (!f) {
        fail("fit_sed: out of memory");
    }
    for (long i = 0; i < g->n; i++) {
        expand(full, p, g->theta + i * p->n_free);
        f[i] = scatter_of_draw(p, full);
        sum += pow(10, log10_tail(chi2_of_draw(p, g->data + i * p->sed.n, full), q->n));
    }
    q->predictive = sum / (double)g->n;
    if (p->opt->systematic_scatter) {
        q->scatter = bml_mcmc_quantile(f, (size_t)g->n, 0.5);
    }
    free(f);
    double *error = malloc((size_t)p->sed.n * sizeof *error);
    int n = 0;
    if (!error) {
        fail("fit_sed: out of memory");
    }
    for (int i = 0; i < p->sed.n; i++)
        if (!p->sed.point[i].upper_limit) {
            error[n++] = 0.5 * (p->sed.point[i].sigma_lo + p->sed.point[i].sigma_hi);
        }
    q->median_error = n ? bml_mcmc_quantile(error, (size_t)n, 0.5) : (double)NAN;
    free(error);
}

static void judge_fit(goodness *q, const problem *p, const best_point *best, const draws *g) {
    memset(q, 0, sizeof *q);
    q->pull = malloc((size_t)p->sed.n * sizeof *q->pull);
    q->residual = malloc((size_t)p->sed.n * sizeof *q->residual);
    if (!q->pull || !q->residual) {
        fail("fit_sed: out of memory");
    }
    judge_best(q, p, best);
    judge_draws(q, p, g);
}

static void goodness_free(goodness *q) {
    free(q->pull);
    free(q->residual);
}

/* ==== the verdict ================================================================================================= */

static const double cross_calibration =
    0.05; /* [dex] instruments differ by this much: no scatter below is the model's fault */

/* "0.003", or "1e-76" where the number has left double precision. */
static const char *p_text(char text[32], double log10_p) {
    if (log10_p > -3) {
        snprintf(text, 32, "%.2g", pow(10, log10_p));
    } else if (log10_p > -300) {
        snprintf(text, 32, "%.0fe%.0f", pow(10, log10_p - floor(log10_p)), floor(log10_p));
    } else {
        snprintf(text, 32, "under 1e-300");
    }
    return text;
}

/* The words that go with a colour. */
static const char *in_words(int colour, const char *green, const char *yellow, const char *red) {
    if (colour == VERDICT_GREEN) {
        return green;
    }
    return colour == VERDICT_YELLOW ? yellow : red;
}

/* The colour of a number that is the better the larger it is. */
static int colour_above(double number, double green, double yellow) {
    if (number >= green) {
        return VERDICT_GREEN;
    }
    return number >= yellow ? VERDICT_YELLOW : VERDICT_RED;
}

static void verdict_chi2(verdict *v, const goodness *q, const problem *p) {
    char text[32];
    const double reduced = q->chi2 / q->dof;
    if (q->dof < 1) {
        verdict_add(v, VERDICT_YELLOW, "chi2", q->chi2, "%d points cannot test a model of %d free parameters.", q->n,
                    p->n_model);
        return;
    }
    const int hopeless = reduced > 4 && q->scatter > cross_calibration;
    int colour = hopeless ? VERDICT_RED : VERDICT_YELLOW;
    if (q->log10_p > -3) {
        colour = VERDICT_GREEN;
    }
    const char *means =
        in_words(colour, "the model fits within the errors", "the quoted errors alone do not explain the residuals",
                 "this model does not fit these data, whatever the posterior says");
    verdict_add(v, colour, "chi2_reduced", reduced,
                "chi^2 on the quoted errors is %.1f for %d points and %d parameters, p = %s: %s.", q->chi2, q->n,
                p->n_model, p_text(text, q->log10_p), means);
}

static void verdict_scatter(verdict *v, const goodness *q, const problem *p) {
    if (!q->n) {
        return; /* limits have no residuals */
    }
    const double ratio = q->scatter / q->median_error;
    int colour = verdict_colour(ratio, 1, 3);
    if (colour == VERDICT_RED && q->scatter <= cross_calibration) {
        colour = VERDICT_YELLOW;
    }
    const char *means =
        in_words(colour, "no more than the errors", "as much as instruments differ, or errors of other epochs",
                 "it hides a model that does not fit: the posterior is too wide and in the wrong place");
    verdict_add(v, colour, "scatter_over_error", ratio,
                "%s %.3f dex, %.1f times the median quoted error of %.4f dex: %s.",
                p->opt->systematic_scatter ? "The fitted scatter is" : "Beyond the errors the residuals scatter by",
                q->scatter, ratio, q->median_error, means);
}

static void verdict_shape(verdict *v, const goodness *q) {
    if (!q->n) {
        return;
    }
    int colour = colour_above(q->predictive, 0.05, 0.01);
    verdict_add(v, colour, "predictive_p", q->predictive,
                "Data drawn from the posterior lie as far from the model as these, or farther, in %.3g %% of cases%s.",
                100 * q->predictive,
                colour == VERDICT_GREEN ? "" : ": the model, with its scatter, does not describe them");
    colour = q->runs >= 1e-3 ? VERDICT_GREEN : VERDICT_YELLOW;
    verdict_add(v, colour, "runs_p", q->runs, "Residuals change sign along frequency as %s.",
                colour == VERDICT_GREEN
                    ? "chance does"
                    : "seldom as by chance once in a thousand fits: the curve's shape is not the data's");
}

/* The group that lies worst, its scatter allowed for. */
static void verdict_group(verdict *v, const goodness *q, const group_fit *group, int n, const char *kind) {
    const double f2 = q->scatter * q->scatter;
    const group_fit *worst = NULL;
    double most = 0;
    for (int i = 0; i < n; i++) {
        const double error2 = group[i].chi2 > 0 ? group[i].spread * group[i].spread * group[i].n / group[i].chi2 : 0;
        const double off = fabs(group[i].offset) / sqrt((f2 + error2) / group[i].n);
        if (!(off > most)) {
            continue;
        }
        most = off;
        worst = &group[i];
    }
    if (!worst) {
        return;
    }
    char name[VERDICT_NAME];
    snprintf(name, sizeof name, "worst_%s", kind);
    const int colour = verdict_colour(most, 4, HUGE_VAL);
    const char *where = worst->offset > 0 ? "above" : "below";
    const char *why = ": another epoch, another component, or a wrong calibration";
    if (colour == VERDICT_GREEN) {
        why = "";
    }
    verdict_add(v, colour, name, most, "The worst %s is '%s': chi^2 %.1f of %d, %.3f dex %s the model on average%s.",
                kind, worst->name, worst->chi2, worst->n, fabs(worst->offset), where, why);
}

static void verdict_limits(verdict *v, const goodness *q, const problem *p) {
    int limits = 0;
    for (int i = 0; i < p->sed.n; i++)
        limits += p->sed.point[i].upper_limit;
    if (!limits) {
        return;
    }
    if (q->limits_broken) {
        verdict_add(v, VERDICT_RED, "limits_broken", q->limits_broken,
                    "The best model lies above %d of %d upper limits by more than three sigma, first at %.3g Hz.",
                    q->limits_broken, limits, p->sed.point[q->first_broken].nu);
    } else {
        verdict_add(v, VERDICT_GREEN, "limits_broken", 0, "The best model respects all %d upper limits.", limits);
    }
}

/* Share of the draws within 2 % of each end of a parameter's prior. */
static void edge_shares(double share[2], const draws *g, int k, int n_free, double lower, double upper) {
    const double reach = 0.02 * (upper - lower);
    share[0] = share[1] = 0;
    for (long i = 0; i < g->n; i++) {
        const double x = g->theta[i * n_free + k];
        share[0] += x < lower + reach;
        share[1] += x > upper - reach;
    }
    share[0] /= (double)g->n;
    share[1] /= (double)g->n;
}

/* gamma_min, gamma_max and ln f often end where the data stop telling: that is said, and no more. */
static int edge_is_harmless(int parameter) {
    return parameter == GAMMA_MIN || parameter == GAMMA_MAX || parameter >= LN_F;
}

/* --scatter instrument: the one whose scatter is farthest above its errors. */
static void verdict_scatters(verdict *v, const problem *p, const draws *g) {
    double full[N_PAR];
    double most = 0;
    double its = 0;
    const char *worst = NULL;
    for (int group = 1; group < SCATTERS && p->opt->scatter; group++) {
        double f = 0;
        double error = 0;
        int n = 0;
        if (!(p->opt->scatters >> group & 1)) {
            continue;
        }
        for (long i = 0; i < g->n; i++) {
            expand(full, p, g->theta + i * p->n_free);
            f += full[LN_F + group] / (double)g->n;
        }
        for (int i = 0; i < p->sed.n; i++) {
            if (p->group[i] != group || p->sed.point[i].upper_limit) {
                continue;
            }
            error += 0.5 * (p->sed.point[i].sigma_lo + p->sed.point[i].sigma_hi);
            n++;
        }
        const double ratio = exp(f) * n / error;
        if (!(ratio > most)) {
            continue;
        }
        most = ratio;
        its = exp(f);
        worst = parameters[LN_F + group].name;
    }
    if (!worst) {
        return;
    }
    int colour = verdict_colour(its, cross_calibration, 0.3);
    if (!(most > 3)) {
        colour = VERDICT_GREEN;
    }
    const char *why = ": another epoch or component; its points weigh the less for it";
    if (colour == VERDICT_GREEN) {
        why = "";
    }
    verdict_add(v, colour, "worst_scatter", most,
                "The largest scatter beside its errors is %s: %.3f dex, %.1f times them%s.", worst, its, most, why);
}

static void verdict_edges(verdict *v, const problem *p, const draws *g) {
    double lower[N_PAR];
    double upper[N_PAR];
    int found = 0;
    bml_mcmc_prior_limits(lower, upper, p->prior);
    for (int k = 0; k < p->n_free; k++) {
        const int par = p->free_par[k];
        const int harmless = edge_is_harmless(par);
        const char *means = harmless ? "the data give a limit, not a value"
                                     : "the fit wants a source outside it; widen it by --prior, or the model is wrong";
        double share[2];
        char name[VERDICT_NAME];
        if (!(upper[k] - lower[k] < HUGE_VAL)) {
            continue;
        }
        edge_shares(share, g, k, p->n_free, lower[k], upper[k]);
        for (int side = 0; side < 2; side++) {
            if (!(share[side] > 0.05) || (par >= LN_F && side == 0)) {
                continue;
            }
            found++;
            snprintf(name, sizeof name, "edge_%s", parameters[par].name);
            const int colour = share[side] > 0.2 && !harmless ? VERDICT_RED : VERDICT_YELLOW;
            const double edge = side ? upper[k] : lower[k];
            verdict_add(v, colour, name, share[side],
                        "%.0f %% of the posterior of %s lies at the %s edge of its prior, %g: %s.", 100 * share[side],
                        parameters[par].name, side ? "upper" : "lower", edge, means);
        }
    }
    if (!found) {
        verdict_add(v, VERDICT_GREEN, "edges", 0, "No parameter's posterior piles up at an edge of its prior.");
    }
}

static void verdict_sampler(verdict *v, const problem *p, const posterior *post) {
    const double ess = least_ess(post, p);
    const int more = post->markov || post->unfinished;
    const char *advice = more ? "go on with --resume" : "run other seeds, or another sampler";
    if (post->converged) {
        verdict_add(v, VERDICT_GREEN, "converged", 1,
                    "The sampler has converged by its own tests; a mode that it never met, none of them sees.");
    } else {
        verdict_add(v, VERDICT_RED, "converged", 0, "NOT CONVERGED: take these numbers as a preview, and %s%s%s.",
                    advice, post->reason[0] ? ": " : "", post->reason);
    }
    const char *but =
        in_words(colour_above(ess, 400, 100), "", ": its interval's ends are rough", ": too few for an interval");
    verdict_add(v, ess >= 100 ? VERDICT_GREEN : VERDICT_RED, "least_ess", ess,
                "The worst known parameter has %.0f effective samples%s.", ess, but);
}

static void verdict_network(verdict *v, const problem *p, const posterior *post) {
    if (!p->net.net) {
        return;
    }
    const char *whose = "The posterior is the network's, which was asked only for a check:";
    const char *but = ": the network is NOT good enough here; take the solver (no --model), or train it longer";
    int colour = VERDICT_YELLOW;
    if (p->solver_judges) {
        whose = "The posterior is the solver's:";
        colour = VERDICT_GREEN;
    }
    if (post->net_fit) {
        but = "";
    } else {
        colour = VERDICT_RED;
    }
    verdict_add(v, colour, "network", post->net_kept,
                "%s %.0f %% of the network's draws count by the solver's weights%s.", whose, 100 * post->net_kept, but);
}

/* The median of a derived quantity over the draws. */
static double derived_median(const draws *g, int quantity) {
    double *x = malloc((size_t)g->n * sizeof *x);
    if (!x) {
        fail("fit_sed: out of memory");
    }
    for (long i = 0; i < g->n; i++)
        x[i] = g->derived[i * N_DERIVED + quantity];
    const double median = bml_mcmc_quantile(x, (size_t)g->n, 0.5);
    free(x);
    return median;
}

/* Sources that are hard to believe. */
static void verdict_physics(verdict *v, const problem *p, const draws *g) {
    double full[N_PAR];
    double *delta = malloc((size_t)g->n * sizeof *delta);
    if (!delta) {
        fail("fit_sed: out of memory");
    }
    for (long i = 0; i < g->n; i++) {
        expand(full, p, g->theta + i * p->n_free);
        delta[i] = pow(10, full[DELTA]);
    }
    const double doppler = bml_mcmc_quantile(delta, (size_t)g->n, 0.5);
    free(delta);
    const double balance = derived_median(g, DERIVED_BALANCE);
    const double jet = derived_median(g, DERIVED_JET);
    const double t_var = pow(10, derived_median(g, DERIVED_T_VAR));
    const char *uneven = balance > 0 ? ": particles outweigh the field, a jet far from equipartition"
                                     : ": the field outweighs particles, unlike any fitted blazar";
    if (fabs(balance) <= 2) {
        uneven = "";
    }
    verdict_add(v, verdict_colour(fabs(balance), 2, 3), "log_Ue_over_UB", balance, "U_e/U_B = %.2g%s.",
                pow(10, balance), uneven);
    const char *strong = ", above the Eddington luminosity of 1e9 suns: hardly any black hole feeds them";
    if (jet <= 47.1) {
        strong = "";
    }
    verdict_add(v, verdict_colour(jet, 47.1, 49), "log_P_jet", jet,
                "Both jets carry %.2g erg/s of electrons, field and photons%s.", pow(10, jet), strong);
    const int speed = verdict_colour(doppler, 50, 100);
    const char *fast = in_words(speed, "", ", more than jets seen by VLBI show", ": no jet is known to be as fast");
    verdict_add(v, speed, "delta", doppler, "The Doppler factor is %.3g%s.", doppler, fast);
    const int odd = t_var < 60 || t_var > 3e7;
    const char *varies = odd ? "this source could not vary within a year" : "faster variability would exclude it";
    if (t_var < 60) {
        varies = "shorter than any variability seen";
    }
    verdict_add(v, odd ? VERDICT_YELLOW : VERDICT_GREEN, "t_var", t_var,
                "Light crosses the blob in %.3g s at the observer: %s.", t_var, varies);
}

/* What the table's reader had to say, and what was done to its points. */
static void verdict_table(verdict *v, const problem *p) {
    const sed_table *t = &p->sed;
    if (t->odd_errors || t->odd_fluxes) {
        verdict_add(v, t->odd_errors ? VERDICT_RED : VERDICT_YELLOW, "table", t->odd_errors + t->odd_fluxes,
                    "%d errors and %d fluxes of the table look wrong: see the notes that were printed first.",
                    t->odd_errors, t->odd_fluxes);
    }
    if (p->above_100_GeV && !p->absorbed) {
        verdict_add(v, p->opt->redshift > 0.02 ? VERDICT_RED : VERDICT_YELLOW, "ebl", p->above_100_GeV,
                    "%d points above 100 GeV were fitted without absorption on the way: give --ebl.", p->above_100_GeV);
    }
    if (p->radio_points && !p->radio_safe) {
        verdict_add(v, VERDICT_YELLOW, "radio", p->radio_points,
                    "%d points below 1e12 Hz were fitted without self-absorption: they come from the larger jet "
                    "(--ssa, --radio).",
                    p->radio_points);
    }
}

static void judge(verdict *v, const problem *p, const posterior *post, const goodness *q, const draws *g) {
    verdict_chi2(v, q, p);
    verdict_scatter(v, q, p);
    verdict_shape(v, q);
    verdict_group(v, q, q->band, q->n_bands, "band");
    verdict_group(v, q, q->instrument, q->n_instruments, "instrument");
    verdict_limits(v, q, p);
    verdict_scatters(v, p, g);
    verdict_edges(v, p, g);
    verdict_sampler(v, p, post);
    verdict_network(v, p, post);
    verdict_physics(v, p, g);
    verdict_table(v, p);
}
#endif
