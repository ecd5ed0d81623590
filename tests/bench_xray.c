/* bench_xray.c: how long models, folds, fits and networks' posteriors of X-ray spectra take, on one core. Prints lines
   "name value unit".
   The response has the shape of NICER's in 133 groups: 3,451 energies, rows as wide as all groups; the model is
   tbabs*(powerlaw+bbodyrad). Medians of 15 repeats in CPU time. Beside them one scalar exp(), measured in the same run:
   machines are shared and drift, the ratio holds. */
#include "common.h"
#define BML_MCMC_IMPLEMENTATION
#include "bml_mcmc.h"
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#include "xray_train.h"

enum { ENERGIES = 3451, GROUPS = 133, REPEATS = 15 };

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void require(int bad, const char *err) {
    if (bad) fail("bench_xray: %s", err);
}

/* A full matrix: Gaussians of 3 % over a tail of 1e-4, so that no element is zero. */
static void make_response(xray_response *r) {
    char err[ERROR_SIZE];
    require(xray_response_room(r, ENERGIES, GROUPS, ENERGIES, (size_t)ENERGIES * GROUPS, err), err);
    for (int i = 0; i <= ENERGIES; i++) r->edge[i] = 0.1 + 19.9 * i / ENERGIES;
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

static double median_of(double *t) {
    return bml_mcmc_quantile(t, REPEATS, 0.5);
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
    prior_file file;
    xray_net net;
    xray_mixture m;
    char err[ERROR_SIZE];
    double *z = xray_alloc(DRAWS, 5 * sizeof *z), draw[TIMES], resample[TIMES], ess = 0, n = 0;
    memset(param, 0, sizeof param);
    require(!z || prior_read_memory(&file, lines, strlen(lines), "lines", err), err);
    for (int k = 0; k < 5; k++) PRIOR_PARAM(&param[k], &file.row[k]);
    require(bml_mcmc_prior_create(&prior, param, 5), "prior");
    require(xray_net_make(&net, XRAY_MLP, problem->data[0].n, 5, 256, 4, 0, 4, 1, err), err);
    require(bml_nn_work_create(&work, net.nn, 1, 1), "out of memory");
    for (int i = 0; i < TIMES; i++) {
        xray_posterior posterior = {prior, &f, 1};
        xray_resampling how = {.target = xray_posterior_target, .user = &posterior, .seed = (uint64_t)i};
        xray_best best[XRAY_FITS];
        xray_proposal near;
        xray_resampled r;
        double t = cpu_seconds();
        require(xray_net_draw(z, &m, &net, work, counts, DRAWS, (uint64_t)i, err), err);
        draw[i] = cpu_seconds() - t;
        xray_net_fits(best, &near, f, prior, z, DRAWS, 200);
        require(xray_resample(&r, &m, &near, &how, err), err);
        resample[i] = cpu_seconds() - t;
        ess += r.ess / TIMES, n += (double)r.n / TIMES;
        xray_resampled_free(&r);
    }
    printf("xray_net_1000_draws %.3f ms\n", 1e3 * bml_mcmc_quantile(draw, TIMES, 0.5));
    printf("xray_resampled_posterior %.3f s\n", bml_mcmc_quantile(resample, TIMES, 0.5));
    printf("xray_resampled_likelihoods %.0f\nxray_resampled_effective %.0f\n", n, ess);
    bml_nn_work_free(work);
    bml_mcmc_prior_free(prior);
    prior_free(&file);
    xray_net_free(&net);
    free(z);
}

int main(void) {
    static const double par[] = {0.24, 1.6, 0.83, 0.55, 640};
    char err[ERROR_SIZE];
    xray_absorption ism;
    xray_response r;
    xray_pha p;
    xray_data d;
    xray_model m;
    xray_problem problem;
    xray_work *w;
    xray_fitter *f;
    xray_best best;
    xray_binning single = {.how = XRAY_GROUP_NONE};
    bml_mcmc_rng rng;
    double fold[REPEATS], model[REPEATS], both[REPEATS], fit[REPEATS], fake[REPEATS], scalar[REPEATS], *mean;
    volatile double sink = 0.5;
    require(xray_absorption_builtin(&ism, XRAY_WILM, err), err);
    make_response(&r);
    require(xray_pha_room(&p, GROUPS, 0, 100, err) || xray_data_make(&d, &p, NULL, &r, &ism, &single, err), err);
    require(xray_model_parse(&m, "tbabs*(powerlaw+bbodyrad)", err), err);
    w = xray_work_make(&m, &d, 1);
    mean = malloc(GROUPS * sizeof *mean);
    require(!w || !mean, "out of memory");
    bml_mcmc_rng_init(&rng, 1, 0);
    xray_fold_model(mean, &d, &m, par, w);
    xray_fake(d.counts, mean, d.n, &rng);
    require(xray_problem_init(&problem, &m, &d, 1, XRAY_C, err), err);
    f = xray_fitter_make(&problem);
    require(!f, "out of memory");
    for (int i = 0; i < REPEATS; i++) {
        double t = cpu_seconds(), u[5] = {0.5, 0.5, 0.7, 0.5, 0.7}, v = sink;
        for (int k = 0; k < 200; k++) xray_fold_flux(d.model, &d.fold, w->flux);
        fold[i] = (cpu_seconds() - t) / 200;
        t = cpu_seconds();
        for (int k = 0; k < 200; k++) xray_model_eval(w->flux, &m, &d.grid, par, w->scratch);
        model[i] = (cpu_seconds() - t) / 200;
        t = cpu_seconds();
        for (int k = 0; k < 200; k++) {
            xray_fold_model(d.model, &d, &m, par, w);
            sink = xray_statistic(NULL, NULL, &d, d.model, XRAY_C);
        }
        both[i] = (cpu_seconds() - t) / 200;
        t = cpu_seconds();
        for (int k = 0; k < 200; k++) xray_fake(d.model, mean, d.n, &rng);
        fake[i] = (cpu_seconds() - t) / 200;
        t = cpu_seconds();
        xray_fit(&best, f, u, NULL);
        fit[i] = cpu_seconds() - t;
        t = cpu_seconds();
        for (int k = 0; k < 100000; k++) v = exp(-v); /* each waits for the one before */
        scalar[i] = (cpu_seconds() - t) / 100000;
        sink = v;
    }
    printf("xray_scalar_exp %.3g ns\n", 1e9 * median_of(scalar));
    printf("xray_fold_3451x133 %.4f ms\n", 1e3 * median_of(fold));
    printf("xray_fold_3451x133 %.0f exp\n", median_of(fold) / median_of(scalar));
    printf("xray_model_3451 %.4f ms\n", 1e3 * median_of(model));
    printf("xray_likelihood %.4f ms\n", 1e3 * median_of(both));
    printf("xray_likelihood %.0f exp\n", median_of(both) / median_of(scalar));
    printf("xray_poisson_133_bins %.4f ms\n", 1e3 * median_of(fake));
    printf("xray_fit_5_parameters %.2f ms\n", 1e3 * median_of(fit));
    {
        static const double range[5][3] = {{0.15, 0.35, 0}, {1, 3, 0}, {0.1, 10, 1}, {0.3, 3, 0}, {10, 1000, 1}};
        xray_fitter_free(f);
        for (int k = 0; k < 5; k++)
            problem.par[k].lo = range[k][0], problem.par[k].hi = range[k][1], problem.par[k].log = range[k][2] > 0;
        f = xray_fitter_make(&problem);
        require(!f, "out of memory");
        bench_posterior(&problem, f, d.counts);
    }
    xray_fitter_free(f);
    xray_work_free(w);
    xray_data_free(&d);
    xray_pha_free(&p);
    xray_response_free(&r);
    xray_absorption_free(&ism);
    free(mean);
    return 0;
}
