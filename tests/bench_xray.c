/* bench_xray.c: how long models, folds, fits and networks' posteriors of X-ray spectra take, on one core. Prints lines
   "name value unit".
   The response has the shape of NICER's in 133 groups: 3,451 energies, rows as wide as all groups; the model is
   tbabs*(powerlaw+bbodyrad). Ratios are to one scalar expf of the same run. */
#include "common.h"
#include "bench.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#include "xray_train.h"

enum { ENERGIES = 3451, GROUPS = 133 };

static void require(int bad, const char *err) {
    if (bad) fail("bench_xray: %s", err);
}

/* A full matrix: Gaussians of 3 % over a tail of 1e-4, so that no element is zero. */
static void make_response(xray_response *r) {
    char err[ERROR_SIZE];
    require(xray_response_room(r, ENERGIES, GROUPS, ENERGIES, (size_t)ENERGIES * GROUPS, err), err);
    for (int i = 0; i <= ENERGIES; i++)
        r->edge[i] = 0.1 + 19.9 * i / ENERGIES;
    for (int c = 0; c < GROUPS; c++) {
        r->e_min[c] = 0.3 * pow(33, (double)c / GROUPS);
        r->e_max[c] = 0.3 * pow(33, (double)(c + 1) / GROUPS);
    }
    for (int i = 0; i < ENERGIES; i++) {
        double e = 0.5 * (r->edge[i] + r->edge[i + 1]);
        r->area[i] = 1000 * exp(-fabs(log(e / 1.5)));
        r->row[i + 1] = i + 1;
        r->span[i].count = GROUPS;
        r->span[i].at = (size_t)i * GROUPS;
        for (int c = 0; c < GROUPS; c++) {
            double z = (0.5 * (r->e_min[c] + r->e_max[c]) - e) / (0.03 * e + 0.03);
            r->matrix[(size_t)i * GROUPS + (size_t)c] = (float)(0.1 * exp(-0.5 * z * z) + 1e-4);
        }
    }
}

/* A posterior from a network of fit_xray's size that has learnt nothing, which is the worst case: resampling then takes
   all of its 10,000 likelihoods, if it needs them. */
static void bench_posterior(const xray_problem *problem, xray_fitter *f, const double *counts) {
    enum { DRAWS = 1000, TIMES = 5 };
    static const char lines[] = "a,uniform,0.15,0.35\nb,uniform,1,3\nc,loguniform,0.1,10\nd,uniform,0.3,3\n"
                                "e,loguniform,10,1000\n";
    bml_mcmc_prior_param param[5];
    bml_mcmc_prior *prior = NULL;
    bml_nn_work *work = NULL;
    char err[ERROR_SIZE];
    double *z = xray_alloc(DRAWS, 5 * sizeof *z);
    double draw[TIMES];
    double resample[TIMES];
    double ess = 0;
    double n = 0;
    memset(param, 0, sizeof param);
    prior_file file;
    require(!z || prior_read_memory(&file, lines, strlen(lines), "lines", err), err);
    for (int k = 0; k < 5; k++)
        PRIOR_PARAM(&param[k], &file.row[k]);
    require(bml_mcmc_prior_create(&prior, param, 5, NULL), "prior");
    xray_net net;
    require(xray_net_make(&net, XRAY_MLP, problem->data[0].n, 5, 256, 4, 0, 4, 1, err), err);
    require(bml_nn_work_create(&work, net.nn, 1, 1, NULL), "out of memory");
    xray_mixture m;
    for (int i = 0; i < TIMES; i++) {
        xray_posterior posterior = {prior, &f, 1};
        xray_resampling how = {.target = xray_posterior_target, .user = &posterior, .seed = (uint64_t)i};
        xray_best best[XRAY_FITS];
        double t = bench_seconds();
        require(xray_net_draw(z, &m, &net, work, counts, DRAWS, (uint64_t)i, err), err);
        draw[i] = bench_seconds() - t;
        xray_proposal near;
        xray_net_fits(best, &near, f, prior, z, DRAWS, 200);
        xray_resampled r;
        require(xray_resample(&r, &m, &near, &how, err), err);
        resample[i] = bench_seconds() - t;
        ess += r.ess / TIMES;
        n += (double)r.n / TIMES;
        xray_resampled_free(&r);
    }
    printf("xray_net_1000_draws %.3f ms\n", 1e3 * bench_median(draw, TIMES));
    printf("xray_resampled_posterior %.3f s\n", bench_median(resample, TIMES));
    printf("xray_resampled_likelihoods %.0f\nxray_resampled_effective %.0f\n", n, ess);
    bml_nn_work_free(work);
    bml_mcmc_prior_free(prior);
    prior_free(&file);
    xray_net_free(&net);
    free(z);
}

/* What the timed pieces work on. */
typedef struct bench {
    xray_model model;
    xray_data data;
    xray_work *work;
    xray_fitter *fitter;
    bml_mcmc_rng rng;
    double par[5], *mean, statistic;
} bench;

static void fold(void *what) {
    bench *b = what;
    xray_fold_flux(b->data.model, &b->data.fold, b->work->flux);
}
static void model(void *what) {
    bench *b = what;
    xray_model_eval(b->work->flux, &b->model, &b->data.grid, b->par, b->work->scratch);
}
static void likelihood(void *what) {
    bench *b = what;
    xray_fold_model(b->data.model, &b->data, &b->model, b->par, b->work);
    b->statistic = xray_statistic(NULL, NULL, &b->data, b->data.model, XRAY_C);
}
static void fake(void *what) {
    bench *b = what;
    xray_fake(b->data.model, b->mean, b->data.n, &b->rng);
}
static void fit(void *what) {
    bench *b = what;
    double u[5] = {0.5, 0.5, 0.7, 0.5, 0.7};
    xray_best best;
    xray_fit(&best, b->fitter, u, NULL);
}

int main(void) {
    static const double par[5] = {0.24, 1.6, 0.83, 0.55, 640};
    static const double range[5][3] = {{0.15, 0.35, 0}, {1, 3, 0}, {0.1, 10, 1}, {0.3, 3, 0}, {10, 1000, 1}};
    char err[ERROR_SIZE];
    xray_absorption ism;
    xray_binning single = {.how = XRAY_GROUP_NONE};
    require(xray_absorption_builtin(&ism, XRAY_WILM, err), err);
    xray_response r;
    make_response(&r);
    xray_pha p;
    bench b;
    require(xray_pha_room(&p, GROUPS, 0, 100, err) || xray_data_make(&b.data, &p, NULL, &r, &ism, &single, err), err);
    require(xray_model_parse(&b.model, "tbabs*(powerlaw+bbodyrad)", err), err);
    memcpy(b.par, par, sizeof par);
    b.work = xray_work_make(&b.model, &b.data, 1);
    b.mean = malloc(GROUPS * sizeof *b.mean);
    require(!b.work || !b.mean, "out of memory");
    bml_mcmc_rng_init(&b.rng, 1, 0);
    xray_fold_model(b.mean, &b.data, &b.model, par, b.work);
    xray_fake(b.data.counts, b.mean, b.data.n, &b.rng);
    xray_problem problem;
    require(xray_problem_init(&problem, &b.model, &b.data, 1, XRAY_C, err), err);
    b.fitter = xray_fitter_make(&problem);
    require(!b.fitter, "out of memory");

    const double expf_s = 1e-9 * bench_expf_ns();
    const double fold_s = bench_call(fold, &b);
    const double model_s = bench_call(model, &b);
    const double likelihood_s = bench_call(likelihood, &b);
    printf("xray_expf %.3g ns\n", 1e9 * expf_s);
    printf("xray_fold_3451x133 %.4f ms\n", 1e3 * fold_s);
    printf("xray_fold_3451x133 %.0f expf\n", fold_s / expf_s);
    printf("xray_model_3451 %.4f ms\n", 1e3 * model_s);
    printf("xray_likelihood %.4f ms\n", 1e3 * likelihood_s);
    printf("xray_likelihood %.0f expf\n", likelihood_s / expf_s);
    printf("xray_poisson_133_bins %.4f ms\n", 1e3 * bench_call(fake, &b));
    printf("xray_fit_5_parameters %.2f ms\n", 1e3 * bench_call(fit, &b));
    xray_fitter_free(b.fitter);
    for (int k = 0; k < 5; k++) {
        problem.par[k].lo = range[k][0];
        problem.par[k].hi = range[k][1];
        problem.par[k].log = range[k][2] > 0;
    }
    b.fitter = xray_fitter_make(&problem);
    require(!b.fitter, "out of memory");
    bench_posterior(&problem, b.fitter, b.data.counts);
    xray_fitter_free(b.fitter);
    xray_work_free(b.work);
    xray_data_free(&b.data);
    xray_pha_free(&p);
    xray_response_free(&r);
    xray_absorption_free(&ism);
    free(b.mean);
    return !(b.statistic > 0);
}
