/* test_cuda.c: bml_cuda.cu without a card. Its kernels and its host code run on the CPU, from the same source text,
   under tests/cuda_on_host.h, and are compared with the CPU headers; each kernel with the threads of a block in
   several orders, which must not change a bit. What this cannot see (the instructions themselves, speed) is for
   tests/cuda_checks.cu, on a card.

   The file is C and C++: as C++ (g++ -x c++) it is the test; as C it can only look at the declarations. */
#include "check.h"
#ifndef __cplusplus
#include "bml_cuda.cu"
int main(void) {
    CHECK(BML_CUDA_NO_DEVICE == -1 && sizeof(bml_cuda_point) >= 40, "the declarations are C");
    SKIP("bml_cuda.cu on the CPU: needs a C++ compiler");
    return check_done();
}
#else
#ifndef __CUDACC__
#define BML_CUDA_ON_HOST "tests/cuda_on_host.h"
#define BML_CUDA__THREADS 128     /* half of the device's, so that fibers take half the time */
#define BML_CUDA__LAUNCH_MOST 512 /* so that a histogram takes several launches */
#ifndef WITHOUT_CUBLASLT
#define BML_CUDA_CUBLASLT
#endif
#endif
#ifdef BML_CUDA_CUBLASLT
static double library_from = 1e300; /* multiply-adds from which on products are the library's */
#define BML_CUDA__LARGE library_from
#endif
#define BML_CUDA_IMPLEMENTATION
#include "bml_cuda.cu"
#include <stddef.h>

/* On a card the same checks are run by tests/cuda_checks.cu. There fused products, and reciprocals and roots of 1
   ulp, allow four times the rounding; the hardware's half-precision tanh is wrong by 2^-10.987 of 1 instead of being
   rounded; and "every order of threads" is three runs. */
#ifdef __CUDACC__
static const double rounding = 4, tanh_error = 4.93e-4;
static void set_order(int order) {
    (void)order;
}
#else
static const double rounding = 1, tanh_error = 0;
static void set_order(int order) {
    cuda_host.order = order;
}
#endif

static bml_cuda *cuda;
static bml_sample_rng rng; /* for inputs */
enum { ORDERS = 3 };
static const int orders[ORDERS] = {0, 1, 12345};

static double uniform(double lo, double hi) {
    return lo + (hi - lo) * bml_sample_rng_uniform(&rng);
}

/* >> Compton */

enum { N = 1500 };
static float gamma_[3 * N + 1], eps0[2 * N + 1], u[N], got[N], want[N], got_rest[N], want_rest[N];
static uint16_t halves[N];

static void random_pairs(int n, int gamma_stride) {
    for (int i = 0; i < n; i++) {
        float *g = &gamma_[i * gamma_stride];
        float *e = &eps0[i];
        do {
            *g = (float)pow(10, uniform(0, 11));
            *e = (float)pow(10, uniform(-13, 2));
            if (i % 8 == 0) {
                *g = (float)uniform(20, 90);
                *e = (float)uniform(0, 1) * (*g - 0.25f / *g);
            }                                           /* ends of spectra */
            if (i % 8 == 4) *g = (float)uniform(1, 20); /* exact collisions, and a mixture from 10 on */
        } while (!bml_sample__in_domain((double)*g, (double)*e) || *g > 1e11f);
        u[i] = (float)uniform(0, 1);
    }
}

/* Largest difference of energies and of 1 - eps/gamma, in units of what rounding may do. In l = L t (1 + r N), N of
   size 1 is a float sum, and t is made with one rounding more or less than on the CPU; where 1 + r N is small, the
   rounding of N counts 1/(1 + r N) = L t/l times, t = 1 - sqrt(1 - u). 8 ulp of both; of 1 - E = e^-l, l times that. */
static double worst_difference(int n, const float *gamma, const float *eps) {
    double worst = 0;
    for (int i = 0; i < n; i++) {
        double g = (double)gamma[i];
        double L = log1p(4 * g * (double)eps[i]);
        double l = -log1p(-fmin((double)want[i] / g, 1 - 1e-16));
        double cdf = 0;
        double ulp = 8 * (double)FLT_EPSILON * rounding;
        if (got[i] == want[i] && got_rest[i] == want_rest[i]) continue; /* collisions: the same arithmetic in double */
        if (g < 10) worst = HUGE_VAL;
        bml_sample_compton_cdf(&cdf, (double)want[i], g, (double)eps[i]);
        ulp *= 1 + L * (1 - sqrt(1 - cdf)) / l;
        double a = fabs((double)got[i] - (double)want[i]) / ((double)want[i] * ulp);
        double b = fabs((double)got_rest[i] - (double)want_rest[i]) / ((double)want_rest[i] * ulp * (1 + L));
        if (!(a <= worst)) worst = a;
        if (!(b <= worst)) worst = b;
    }
    return worst;
}

/* NET or TABLE for n photons as the CPU draws them, or at given u; which: 0 random pairs, 1 strided and misaligned, 2
   one pair, 3 few pairs again and again. */
static double compton_case(bml_cuda_compton *sampler, int method, const bml_sample_compton_nodes *nodes, int n,
                           int which, int given) {
    static float cpu_gamma[N];
    static float cpu_eps0[N];
    bml_cuda_photons p = {};
    bml_sample_photonsf how = {};
    int stride = which == 1 ? 3 : 1;
    int pairs = which == 3 ? 7 : n;
    random_pairs(N, stride);
    p.n = (uint64_t)n;
    p.gamma = gamma_;
    p.eps0 = eps0;
    p.rest = got_rest;
    p.seed = 0x123456789abcdefull;
    p.stream = 5;
    if (which == 1) {
        memmove(eps0 + 1, eps0, N * sizeof(float));
        memmove(gamma_ + 1, gamma_, (3 * N) * sizeof(float));
        p.gamma = gamma_ + 1;
        p.eps0 = eps0 + 1;
        p.gamma_stride = 3;
    }
    if (which == 2) {
        p.gamma = p.eps0 = NULL;
        p.same_gamma = gamma_[0];
        p.same_eps0 = eps0[0];
    }
    if (which == 3) p.pairs = (uint64_t)pairs;
    if (given) p.u = u;
    for (int i = 0; i < n; i++) {
        cpu_gamma[i] = which == 2 ? gamma_[0] : p.gamma[i % pairs * stride];
        cpu_eps0[i] = which == 2 ? eps0[0] : p.eps0[i % pairs];
    }
    how.n = (size_t)n;
    how.gamma = cpu_gamma;
    how.eps0 = cpu_eps0;
    how.method = method;
    how.nodes = nodes;
    how.rest = want_rest;
    if (given) how.u = u;
    bml_sample_rng cpu;
    bml_sample_rng_init(&cpu, p.seed, p.stream);
    p.skip = 3; /* as if three blocks had been used */
    cpu.counter[0] = 3;
    if (bml_cuda_compton_sample_host(got, &p, sampler) || bml_sample_comptonf(want, &how, &cpu)) return HUGE_VAL;
    if (!given && cpu.counter[0] != 3 + bml_cuda_compton_blocks((uint64_t)n)) return HUGE_VAL;
    return worst_difference(n, cpu_gamma, cpu_eps0);
}

static void test_net_and_table(void) {
    static const char *const names[] = {"arrays", "strided, misaligned", "one pair", "seven pairs again and again"};
    static const int sizes[] = {0, 1, 31, 33, 256, 257, 1031, N};
    static bml_sample_compton_nodes nodes;
    bml_sample_compton_table(&nodes);
    for (int method = BML_CUDA_NET; method <= BML_CUDA_TABLE; method++) {
        bml_cuda_compton_config config = {method, NULL};
        bml_cuda_compton *sampler = NULL;
        CHECK(bml_cuda_compton_create(&sampler, &config, cuda) == BML_CUDA_OK, "sampler %d", method);
        for (int which = 0; which < 4 && sampler; which++)
            for (int given = 0; given < 2; given++) {
                double worst = 0;
                for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
                    double w = compton_case(sampler, method, &nodes, sizes[s], which, given);
                    if (!(w <= worst)) worst = w;
                }
                CHECK(worst <= 1, "%s, %s, %s: energies as the CPU's, sizes 0 to %d: %.2g of the rounding allowed",
                      method ? "table" : "net", names[which], given ? "given u" : "Philox", N, worst);
            }
        bml_cuda_compton_free(sampler);
    }
}

/* How far u is from the CDF at an energy that the table draws at speed, give or take the two roundings that a float
   energy has: the largest of n photons from block `skip` on. */
static double speed_error(const float *energy, const float *gamma, const float *eps, int n, uint64_t skip) {
    double worst = 0;
    for (int i = 0; i < n / 256 * 256; i++) {
        uint32_t counter[4] = {(uint32_t)skip + (uint32_t)(i / 256 * 64 + i % 64), 5, 0, 0xFFFFFFFFu};
        uint32_t key[2] = {0x89abcdefu, 0x01234567u};
        uint32_t words[4];
        bml_sample_philox(words, counter, key);
        double want_u = ((double)words[i % 256 / 64] + 0.5) / 4294967296.0;
        double g = (double)gamma[i];
        double e = (double)eps[i];
        double above = -1;
        double below = -1;
        if (g < 20) continue; /* exact collisions, or a share of them: no function of u that rises */
        bml_sample_compton_cdf(&below, (double)energy[i] * (1 - (double)FLT_EPSILON), g, e);
        bml_sample_compton_cdf(&above, (double)energy[i] * (1 + (double)FLT_EPSILON), g, e);
        double error = fmax(below - want_u, want_u - above);
        if (!(error <= worst)) worst = error;
    }
    return worst;
}

/* Whole chunks of plain arrays go through kernels of their own. */
static void test_table_at_speed(void) {
    static float energy[N];
    static float again[N];
    static float same[N];
    static float one_eps0[N];
    bml_cuda_compton_config config = {BML_CUDA_TABLE, NULL};
    bml_cuda_compton *sampler = NULL;
    const double allowed = 1.1e-4 + 4e-7; /* the table's (bml_sample.h), and that of u and t as floats */
    bml_cuda_photons p = {};
    bml_cuda_bins bins = {};
    uint64_t counts[42];
    double worst = 0;
    if (bml_cuda_compton_create(&sampler, &config, cuda)) return;
    p.n = N;
    p.seed = 0x0123456789abcdefull;
    p.stream = 5;
    p.skip = 3;
    for (int trial = 0; trial < 12; trial++) { /* b from 4e-10 to 4e8, and near the end of a spectrum */
        p.same_gamma = (float)pow(10, uniform(1.4, 8));
        p.same_eps0 = (float)pow(10, uniform(-11, 0));
        if (trial == 0) p.same_gamma = 20;
        for (int i = 0; i < N; i++) {
            same[i] = p.same_gamma;
            one_eps0[i] = p.same_eps0;
        }
        if (bml_cuda_compton_sample_host(energy, &p, sampler)) worst = HUGE_VAL;
        double error = speed_error(energy, same, one_eps0, N, 3);
        if (!(error <= worst)) worst = error;
    }
    CHECK_LE(worst, allowed, "the table at speed, one pair: error of the CDF");
    random_pairs(N, 1);
    p.gamma = gamma_;
    p.eps0 = eps0;
    CHECK(bml_cuda_compton_sample_host(energy, &p, sampler) == BML_CUDA_OK, "arrays");
    CHECK_LE(speed_error(energy, gamma_, eps0, N, 3), allowed, "the table at speed, arrays: error of the CDF");
    p.rest = got_rest; /* the other kernel */
    bml_cuda_compton_sample_host(again, &p, sampler);
    p.rest = NULL;
    double apart = 0;
    for (int i = 0; i < N; i++) {
        int alike = gamma_[i] < 10 || i >= N / 256 * 256;
        if (alike && energy[i] != again[i]) apart = HUGE_VAL;
        double d = fabs(log((double)energy[i] / (double)again[i]));
        if (d > apart && (double)energy[i] > 1e-3 * (double)gamma_[i]) apart = d;
    }
    CHECK_LE(apart, 2e-3,
             "against the other kernel, ln of energies above 1e-3 gamma"); /* t to 1e-7, of l >= 1e-3 at r */
    bins.counts = counts;
    bins.bins = 40;
    bins.lower = 1e-9;
    bins.upper = 1e9;
    CHECK(bml_cuda_compton_histogram_host(&bins, &p, sampler) == BML_CUDA_OK, "counts");
    uint64_t own[42] = {0};
    int moved = 0;
    for (int i = 0; i < N; i++) {
        double at = log((double)energy[i] / bins.lower) / log(bins.upper / bins.lower) * bins.bins;
        own[at < 0 ? 0 : at < bins.bins ? (int)at + 1 : bins.bins + 1]++;
    }
    for (int k = 0; k < 42; k++)
        moved += abs((int)own[k] - (int)counts[k]);
    CHECK_LE(moved, 4, "counts against the sample of the same stream");
    gamma_[300] = 0.5f;
    CHECK(bml_cuda_compton_sample_host(energy, &p, sampler) == BML_CUDA_OUT_OF_DOMAIN && energy[300] != energy[300],
          "a photon out of the domain is NaN: %s", bml_cuda_message(cuda));
    bml_cuda_compton_free(sampler);
}

/* As halves of the largest energy: rounded to 2^-11, and 2^-24 near zero; and the float's own 1e-6. */
static void test_half_output(void) {
    bml_cuda_photons p = {};
    double worst = 0;
    random_pairs(N, 1);
    p.n = N;
    p.gamma = gamma_;
    p.eps0 = eps0;
    p.u = u;
    bml_cuda_compton *sampler;
    if (bml_cuda_compton_create(&sampler, NULL, cuda)) return;
    bml_cuda_compton_sample_host(got, &p, sampler);
    p.half = 1;
    CHECK(bml_cuda_compton_sample_host(halves, &p, sampler) == BML_CUDA_OK, "energies as halves");
    for (int i = 0; i < N; i++) {
        double g = (double)gamma_[i];
        double b = 4 * g * (double)eps0[i];
        double share = (double)got[i] / (g * b / (1 + b));
        double error =
            fabs((double)bml_nn__widen(halves[i], BML_NN_F16) - share) / (share / 2048 + 1e-6 * share + 3e-8);
        if (!(error <= worst)) worst = error;
    }
    CHECK_LE(worst, 1, "halves against floats, over half an ulp");
    bml_cuda_compton_free(sampler);
}

static void test_refusals(void) {
    bml_cuda_photons p = {};
    bml_cuda_compton *sampler;
    uint64_t refused = 0;
    uint64_t counts[12];
    bml_cuda_bins bins = {counts, 10, 1e-9, 1e9};
    float *device = NULL;
    int nans = 0;
    if (bml_cuda_compton_create(&sampler, NULL, cuda)) return;
    random_pairs(N, 1);
    gamma_[3] = NAN;
    gamma_[700] = 0.5f;
    gamma_[900] = 30;
    eps0[900] = 60;
    u[5] = 1.5f;
    u[6] = NAN;
    p.n = N;
    p.gamma = gamma_;
    p.eps0 = eps0;
    p.u = u;
    CHECK(bml_cuda_compton_sample_host(got, &p, sampler) == BML_CUDA_OUT_OF_DOMAIN,
          "photons out of the domain are told of");
    for (int i = 0; i < N; i++)
        nans += isnan(got[i]) != 0;
    CHECK(nans == 5 && isnan(got[3]) && isnan(got[5]) && isnan(got[6]) && isnan(got[700]) && isnan(got[900]),
          "and those five alone are NaN");
    bml_cuda_copy copy;
    copy.from = gamma_;
    p.eps0 = p.u = NULL;
    p.same_eps0 = 1e-9f; /* device pointers: 10 photons, two of them bad */
    CHECK(!bml_cuda_alloc((void **)&device, 20 * sizeof(float), cuda), "device memory");
    copy.to = device;
    copy.bytes = 10 * sizeof(float);
    gamma_[7] = 0.5f;
    bml_cuda_put(&copy, NULL, cuda);
    p.gamma = device;
    p.n = 10;
    CHECK(bml_cuda_compton_sample(device + 10, &p, NULL, sampler) == BML_CUDA_OK, "a hot call does not look");
    copy.to = got;
    copy.from = device + 10;
    CHECK(!bml_cuda_get(&copy, NULL, cuda) && !bml_cuda_wait(NULL, cuda) && isnan(got[3]) && isnan(got[7]) &&
              got[0] > 0,
          "but there is NaN");
    bml_cuda_release(device, cuda);
    CHECK(bml_cuda_compton_refused(&refused, NULL, sampler) == BML_CUDA_OK && refused == 2, "and they are counted");
    CHECK(bml_cuda_compton_refused(&refused, NULL, sampler) == BML_CUDA_OK && refused == 0, "from zero again");
    p.n = N;
    p.gamma = gamma_;
    p.eps0 = eps0;
    p.u = u;
    bml_cuda_compton_histogram_host(&bins, &p, sampler);
    refused = 0;
    for (int i = 0; i < 12; i++)
        refused += counts[i];
    CHECK(refused == N - 6, "a histogram leaves them out");
    memset(&p, 0, sizeof p);
    p.n = 10;
    p.same_gamma = 1e4f;
    p.same_eps0 = NAN;
    CHECK(bml_cuda_compton_sample_host(got, &p, sampler) == BML_CUDA_OUT_OF_DOMAIN,
          "one pair that is NaN is refused at once");
    bins.upper = (double)NAN;
    p.same_eps0 = 1e-4f;
    CHECK(bml_cuda_compton_histogram_host(&bins, &p, sampler) == BML_CUDA_BAD_ARGUMENT, "bins up to NaN");
    bml_cuda_compton_free(sampler);
}

/* Counts against the exact CDF (chi^2 of 40 bins: mean 39, sd 8.8; five sd), and against a sample of the same stream:
   a photon may change sides only at a bin's edge, where the float logarithm rounds: 1e-6 of them, none expected. */
static void test_histogram(void) {
    static float energy[20000];
    uint64_t counts[42];
    uint64_t sum = 0;
    const int n_bins = 40;
    const int many = 20000;
    bml_cuda_bins bins = {counts, n_bins, 1e-3, 1e3};
    bml_cuda_photons p = {};
    bml_cuda_compton *sampler;
    double chi2 = 0;
    double before = 0;
    double ratio = log(bins.upper / bins.lower);
    int moved = 0;
    int own[42] = {0};
    if (bml_cuda_compton_create(&sampler, NULL, cuda)) return;
    p.n = (uint64_t)many;
    p.same_gamma = 1e3f;
    p.same_eps0 = 1e-4f;
    p.seed = bml_sample_rng_u32(&rng);
    CHECK(bml_cuda_compton_histogram_host(&bins, &p, sampler) == BML_CUDA_OK, "histogram");
    bml_cuda_compton_sample_host(energy, &p, sampler);
    for (int i = 0; i < many; i++) {
        double at = log((double)energy[i] / bins.lower) / ratio * n_bins;
        own[at < 0 ? 0 : at < n_bins ? (int)at + 1 : n_bins + 1]++;
    }
    for (int k = 0; k < n_bins + 2; k++) {
        double cdf = 1;
        if (k <= n_bins) bml_sample_compton_cdf(&cdf, bins.lower * exp(ratio * k / n_bins), 1e3, (double)1e-4f);
        double expected = (cdf - before) * many;
        before = cdf;
        if (expected > 5) chi2 += ((double)counts[k] - expected) * ((double)counts[k] - expected) / expected;
        moved += abs((int)counts[k] - own[k]);
        sum += counts[k];
    }
    CHECK(sum == (uint64_t)many, "every photon is counted, in several launches");
    CHECK_LE(moved, 2, "counts against the sample of the same stream");
    CHECK_LE(chi2, 39 + 5 * 8.8, "counts against the exact CDF, chi^2");
    bml_cuda_compton_free(sampler);
}

/* The published net in double at x, and how far half precision may be from it: every rounding to 11 bits, carried on
   through the layers by |w| and the slope of tanh (its largest over the interval of doubt). */
static double reference_net(double *bound, const float *w, const double *x) {
    double a[16];
    double e[16];
    double z[16];
    double d[16];
    const double half = 1.0 / 2048;
    const double tiny = 1.0 / (1 << 24);
    for (int k = 0; k < 16; k++) {
        z[k] = (double)w[48 + k];
        d[k] = 4e-6 * fabs(z[k]); /* pairs of halves: 22 bits, and the sum in float */
        for (int j = 0; j < 3; j++) {
            z[k] += (double)w[3 * k + j] * x[j];
            d[k] += 4e-6 * (1e-3 + fabs((double)w[3 * k + j] * x[j]));
        }
    }
    double slope;
    for (int l = 0;; l++) {
        for (int k = 0; k < 16; k++) {
            double doubt = d[k] + half * fabs(z[k]) + tiny;
            double nearest = fmax(fabs(z[k]) - doubt, 0);
            a[k] = tanh(z[k]);
            slope = 1 - tanh(nearest) * tanh(nearest);
            e[k] = slope * doubt + fmax(half * fabs(a[k]) + tiny, tanh_error);
        }
        if (l == 2) break;
        for (int k = 0; k < 16; k++) {
            const float *v = w + 64 + 272 * l;
            z[k] = (double)v[256 + k];
            d[k] = 1e-6;
            for (int j = 0; j < 16; j++) {
                z[k] += (double)v[16 * k + j] * a[j];
                d[k] += fabs((double)v[16 * k + j]) * (e[j] + half * (fabs(a[j]) + e[j])) + 2 * tiny;
            }
        }
    }
    double y = (double)w[624];
    *bound = 1e-6;
    for (int k = 0; k < 16; k++) {
        y += (double)w[608 + k] * a[k];
        *bound += fabs((double)w[608 + k]) * (e[k] + half * (1 + e[k])) + 2 * tiny;
    }
    return y;
}

/* The published weights, if the data are there (input by input in the first layer); else random ones. */
static int published_weights(float *w) {
    static const int n[4] = {48, 256, 256, 16};
    static const int at[4] = {0, 64, 336, 608};
    for (int i = 0; i < BML_CUDA_PUBLISHED_WEIGHTS; i++)
        w[i] = (float)uniform(-1, 1);
    for (int l = 0; l < 4; l++) {
        char name[64];
        snprintf(name, sizeof name, "compton/net1_layer%d.txt", l);
        const char *path = check_data(name);
        FILE *f = path ? fopen(path, "r") : NULL;
        if (!f) return 0;
        float v;
        for (int i = 0; i < n[l] + (l < 3 ? 16 : 1) && fscanf(f, "%f", &v) == 1; i++)
            w[at[l] + (l == 0 && i < 48 ? 3 * (i % 16) + i / 16 : i)] = v;
        fclose(f);
    }
    return 1;
}

static void test_published(void) {
    static float w[BML_CUDA_PUBLISHED_WEIGHTS];
    static float again[N];
    bml_cuda_compton_config config = {BML_CUDA_PUBLISHED, w};
    bml_cuda_photons p = {};
    bml_cuda_compton *sampler = NULL;
    double worst = 0;
    double tight = 0;
    double mean = 0;
    int real = published_weights(w);
    int same = 1;
    CHECK(bml_cuda_compton_create(&sampler, &config, cuda) == BML_CUDA_OK, "published net, %s weights",
          real ? "its" : "random");
    if (!sampler) return;
    for (int i = 0; i < N; i++) {
        gamma_[i] = (float)pow(10, uniform(1, 6));
        eps0[i] = (float)pow(10, uniform(-9, -1));
        u[i] = (float)uniform(0, 1);
    }
    p.n = 301;
    p.gamma = gamma_;
    p.eps0 = eps0;
    p.u = u;
    for (int o = 0; o < ORDERS; o++) {
        set_order(orders[o]);
        bml_cuda_compton_sample_host(o ? again : got, &p, sampler);
        if (o) same &= !memcmp(again, got, 301 * sizeof(float));
    }
    set_order(0);
    for (int i = 0; i < 301; i++) {
        double x[3] = {(double)u[i], log10((double)gamma_[i]), log10((double)eps0[i])};
        double bound;
        double y = reference_net(&bound, w, x);
        double g = (double)gamma_[i];
        double e = (double)eps0[i];
        double b = 4 * g * e;
        double top = g * b / (1 + b);
        double cdf = 0;
        double low = fmin(fmax(y - bound, -1), 1);
        double high = fmin(fmax(y + bound, -1), 1);
        double slack = 3e-6 * (top - e);
        double least = ((1 + tanh(5 * low) / tanh(5.0)) / 2 * (top - e) + e) * (1 - 3e-6) - slack;
        double most = ((1 + tanh(5 * high) / tanh(5.0)) / 2 * (top - e) + e) * (1 + 3e-6) + slack;
        if (!((double)got[i] >= least && (double)got[i] <= most)) worst += 1;
        tight += bound / 301;
        bml_sample_compton_cdf(&cdf, (double)got[i], g, e);
        mean += fabs(cdf - (double)u[i]) / 301;
    }
    CHECK(worst == 0,
          "published net: all energies within half precision of the net in double (mean bound on its output %.2g)",
          tight);
    CHECK(same, "the same bits in every order of threads");
    if (real) printf("note  its mean error of the CDF: %.2g\n", mean);
    bml_cuda_compton_free(sampler);
}
/* >> SSC */

enum { NU = 60, SOURCES = 8 };
static double nu[NU], cpu_flux[SOURCES][NU], flux[SOURCES * NU], flux_again[SOURCES * NU];

static void random_source(bml_cuda_source *s, bml_ssc_source *cpu, bml_ssc_observer *o) {
    memset(s, 0, sizeof *s);
    memset(cpu, 0, sizeof *cpu);
    memset(o, 0, sizeof *o);
    s->R = pow(10, uniform(14, 17));
    s->B = pow(10, uniform(-2, 1));
    s->gamma_min = pow(10, uniform(0.5, 3));
    s->gamma_max = pow(10, uniform(4, 7));
    s->compactness = pow(10, uniform(-5, -3));
    s->p = uniform(1.5, 3);
    s->redshift = 0.1;
    s->distance = 1.4e27;
    s->delta = uniform(5, 30);
    cpu->R = s->R;
    cpu->B = s->B;
    cpu->gamma_min = s->gamma_min;
    cpu->gamma_max = s->gamma_max;
    cpu->compactness = s->compactness;
    cpu->p = s->p;
    o->redshift = s->redshift;
    o->distance = s->distance;
    o->delta = s->delta;
}

/* Switches one feature on in both. */
static void add_feature(bml_cuda_source *s, bml_ssc_source *cpu, int which) {
    if (which == 1) cpu->self_absorption = BML_SSC_SSA;
    if (which == 2) {
        cpu->self_absorption = BML_SSC_SSA_HEATING;
        s->B = cpu->B = 10;
        s->R = cpu->R = 1e14;
    }
    if (which == 3) {
        cpu->pair_production = 1;
        s->compactness = cpu->compactness = 10;
        s->R = cpu->R = 1e15;
    }
    if (which == 4) {
        cpu->injection = BML_SSC_BROKEN;
        s->gamma_break = cpu->gamma_break = 3e3;
        s->p2 = cpu->p2 = 3.5;
    }
    if (which == 5) {
        cpu->injection = BML_SSC_LOG_PARABOLA;
        s->gamma_break = cpu->gamma_break = 300;
        s->curvature = cpu->curvature = 0.7;
    }
    if (which == 6) {
        cpu->injection = BML_SSC_CUTOFF;
        s->gamma_break = cpu->gamma_break = 1e5;
        s->electron_escape = cpu->electron_escape = 3;
    }
    if (which == 7) {
        s->t_end = cpu->t_end = 2.3;
        s->p = cpu->p = -9;
    } /* numbers beyond float before they are normalised */
    s->injection = (int)cpu->injection;
    s->self_absorption = (int)cpu->self_absorption;
    s->pair_production = cpu->pair_production;
}

/* Largest difference from the CPU in dex, where the flux is above 1e-12 of the row's peak (the far tail, through an
   exponential, multiplies rounding), and whether zeros and status agree. */
static double against_cpu(const bml_cuda_source *s, const int *status, const int *cpu_status, int n) {
    double worst = 0;
    (void)s;
    for (int i = 0; i < n; i++) {
        double peak = 0;
        if (status[i] != cpu_status[i]) return HUGE_VAL;
        for (int k = 0; k < NU; k++)
            peak = fmax(peak, cpu_flux[i][k]);
        for (int k = 0; k < NU; k++) {
            double d = fabs(log10(flux[i * NU + k] / cpu_flux[i][k]));
            if (cpu_flux[i][k] > 1e-12 * peak && !(d <= worst)) worst = d;
        }
    }
    return worst;
}

static void test_grid(int grid, int n) {
    bml_cuda_source s[SOURCES];
    bml_ssc_source cpu[SOURCES];
    bml_ssc_observer o[SOURCES];
    bml_ssc_config config = {};
    bml_ssc *tables = NULL;
    bml_ssc_blob *blob = NULL;
    int status[SOURCES];
    int cpu_status[SOURCES];
    int same = 1;
    config.grid = (bml_ssc_grid)grid;
    config.pitch = BML_SSC_PITCH_AVERAGED;
    int made = bml_ssc_create(&tables, &config, NULL) || bml_ssc_blob_create(&blob, tables, NULL);
    for (int i = 0; i < n && !made; i++) {
        random_source(&s[i], &cpu[i], &o[i]);
        add_feature(&s[i], &cpu[i], i);
        cpu_status[i] = bml_ssc_solve(blob, &cpu[i]) == BML_SSC_NOT_CONVERGED ? BML_CUDA_NOT_CONVERGED : 0;
        bml_ssc_sed(cpu_flux[i], nu, NU, blob, &o[i], BML_SSC_TOTAL);
    }
    for (int single = 0; single < 2; single++) {
        bml_cuda_ssc_config c = {};
        bml_cuda_spectra job = {flux, status, s, nu, NULL, n, NU, BML_SSC_TOTAL};
        bml_cuda_ssc *solver = NULL;
        c.grid = grid;
        c.single = single;
        c.gamma_max = 1e7;
        c.B_min = 1e-2;
        made = bml_cuda_ssc_create(&solver, &c, cuda);
        CHECK(!made, "solver, grid %d, %s", grid, single ? "float" : "double");
        if (made) continue;
        bml_cuda_ssc_solve_host(&job, solver);
        CHECK_LE(against_cpu(s, status, cpu_status, n), single ? 1e-3 : 1e-5, "spectra against the CPU's [dex]");
        for (int order = 1; order < ORDERS && single; order++) {
            set_order(orders[order]);
            job.out = flux_again;
            job.sources = s + 2;
            job.n = 2; /* heating, pairs */
            bml_cuda_ssc_solve_host(&job, solver);
            same &= !memcmp(flux + 2 * NU, flux_again, sizeof(double) * NU * 2);
            set_order(0);
        }
        bml_cuda_ssc_free(solver);
    }
    CHECK(same, "the same bits in every order of threads");
    bml_ssc_blob_free(blob);
    bml_ssc_free(tables);
}

/* Workspace outside shared memory, absorption, components, no sources, and sources that are refused one by one. */
static void test_ssc_statuses(void) {
    bml_cuda_source s[SOURCES];
    bml_ssc_source cpu;
    bml_ssc_observer o;
    double half[NU];
    double part[NU];
    int status[SOURCES];
    bml_cuda_ssc_config c = {};
    bml_cuda_spectra job = {flux, status, s, nu, NULL, 8, NU, BML_SSC_TOTAL};
    bml_cuda_ssc *solver = NULL;
    bml_cuda_ssc *outside = NULL;
    size_t shared = cuda->shared;
    int good = 1;
    int nans = 1;
    int sums = 1;
    for (int i = 0; i < SOURCES; i++)
        random_source(&s[i], &cpu, &o);
    for (int k = 0; k < NU; k++)
        half[k] = 0.5;
    s[1].B = (double)NAN;
    s[2].gamma_max = 2;
    s[3].distance = 0;
    s[4].B = 1e-5;
    s[5].injection = BML_SSC_TABLE;
    s[6].p = HUGE_VAL;
    s[7].injection = BML_SSC_CUTOFF;
    s[7].gamma_break = 0.1;
    s[7].gamma_min = 1e3;
    s[7].gamma_max = 1e5; /* no energy */
    c.single = 1;
    c.gamma_max = 1e7;
    c.B_min = 1e-2;
    if (bml_cuda_ssc_create(&solver, &c, cuda)) return;
    set_order(1); /* the thread that finds the lack of energy is not the first */
    CHECK(bml_cuda_ssc_solve_host(&job, solver) == BML_CUDA_PARAMETER, "the first failure is returned");
    set_order(0);
    CHECK(!status[0] && status[1] == BML_CUDA_PARAMETER && status[2] == BML_CUDA_ORDER &&
              status[3] == BML_CUDA_PARAMETER && status[4] == BML_CUDA_OUTSIDE && status[5] == BML_CUDA_PARAMETER &&
              status[6] == BML_CUDA_PARAMETER && status[7] == BML_CUDA_PARAMETER,
          "each source has its status");
    for (int k = 0; k < NU; k++) {
        good &= flux[k] >= 0;
        nans &= isnan(flux[NU + k]) && isnan(flux[6 * NU + k]);
    }
    CHECK(good && nans, "rows of sources that failed are NaN, the others are not");
    job.n = 1;
    memcpy(flux_again, flux, sizeof half);
    cuda->shared = 1000; /* a card with little: the state goes to the workspace */
    CHECK(!bml_cuda_ssc_create(&outside, &c, cuda) && !outside->in_shared, "a workspace outside shared memory");
    cuda->shared = shared;
    if (outside) bml_cuda_ssc_solve_host(&job, outside);
    CHECK(!memcmp(flux, flux_again, sizeof half), "gives the same bits");
    job.absorption = half;
    bml_cuda_ssc_solve_host(&job, solver);
    for (int k = 0; k < NU; k++)
        good &= flux[k] == 0.5 * flux_again[k];
    CHECK(good, "absorption multiplies");
    job.absorption = NULL;
    job.component = BML_SSC_SYNCHROTRON;
    bml_cuda_ssc_solve_host(&job, solver);
    memcpy(part, flux, sizeof part);
    job.component = BML_SSC_COMPTON;
    bml_cuda_ssc_solve_host(&job, solver);
    for (int k = 0; k < NU;
         k++) /* the logarithm is interpolated, so the sum is exact only at nodes: within their curvature */
        if (flux_again[k] > 0) sums &= fabs(log10((flux[k] + part[k]) / flux_again[k])) < 0.02;
    CHECK(sums, "synchrotron and Compton add up to the total");
    job.n = 0;
    CHECK(bml_cuda_ssc_solve(&job, NULL, solver) == BML_CUDA_OK, "no sources are fine");
    job.n = 1;
    job.component = BML_SSC_EXTERNAL;
    CHECK(bml_cuda_ssc_solve_host(&job, solver) == BML_CUDA_BAD_ARGUMENT, "a component it does not have");
    bml_cuda_ssc_free(solver);
    bml_cuda_ssc_free(outside);
}

/* >> likelihoods: the CPU's own to rounding (a sum of 25 terms of size up to 1e3: 1e-10), and NaN where it refuses */

static void test_likelihood(void) {
    enum { ROWS = 300, POINTS = 25 };
    static double model[ROWS * POINTS];
    static double ln_l[ROWS];
    static double ln_f[ROWS];
    static float log_model[ROWS * POINTS];
    bml_cuda_point points[POINTS];
    bml_ssc_point cpu[POINTS];
    bml_cuda_likelihoods job = {ln_l, model, NULL, points, ln_f, ROWS, POINTS};
    double worst = 0;
    double worst_log = 0;
    for (int i = 0; i < POINTS; i++) {
        points[i].nu = 1e15;
        points[i].nuFnu = pow(10, uniform(-14, -10));
        points[i].upper_limit = i % 4 == 0;
        points[i].sigma_lo = uniform(0.02, 0.2);
        points[i].sigma_hi = uniform(0.02, 0.2);
        if (i % 4 == 0) points[i].sigma_hi = i % 8 ? 0 : points[i].nuFnu * uniform(0.01, 1);
        memcpy(&cpu[i], &points[i], sizeof cpu[i]);
    }
    CHECK(sizeof(bml_ssc_point) == sizeof(bml_cuda_point) &&
              offsetof(bml_ssc_point, upper_limit) == offsetof(bml_cuda_point, upper_limit),
          "points are those of bml_ssc.h");
    for (int i = 0; i < ROWS * POINTS; i++) {
        model[i] = points[i % POINTS].nuFnu * pow(10, uniform(-0.5, 0.5));
        log_model[i] = (float)log10(model[i]);
    }
    for (int i = 0; i < ROWS; i++)
        ln_f[i] = i % 3 ? uniform(-6, -1) : -HUGE_VAL;
    model[7 * POINTS + 1] = 0;
    model[8 * POINTS + 2] = (double)NAN;
    ln_f[9] = HUGE_VAL;
    CHECK(bml_cuda_log_likelihood_host(&job, cuda) == BML_CUDA_OK, "likelihoods");
    double want_l;
    for (int i = 0; i < ROWS; i++) {
        int status = bml_ssc_log_likelihood(&want_l, model + i * POINTS, cpu, POINTS, ln_f[i]);
        double d = fabs(ln_l[i] - want_l) / (1 + fabs(want_l));
        if (i == 7 || i == 8 || i == 9)
            worst = (status ? isnan(ln_l[i]) : ln_l[i] == want_l) ? worst : HUGE_VAL;
        else if (!(d <= worst))
            worst = d;
    }
    CHECK_LE(worst, 1e-10, "against bml_ssc_log_likelihood, relative");
    job.model = NULL;
    job.log10_model = log_model;
    bml_cuda_log_likelihood_host(&job, cuda);
    for (int i = 10; i < ROWS; i++) { /* log10 F near -14 is a float to 5e-7 dex: d ln L <= 25 (r/var) 5e-7 */
        bml_ssc_log_likelihood(&want_l, model + i * POINTS, cpu, POINTS, ln_f[i]);
        double d = fabs(ln_l[i] - want_l) / (1 + fabs(want_l));
        if (!(d <= worst_log)) worst_log = d;
    }
    CHECK_LE(worst_log, 25 * 0.5 / (0.02 * 0.02) * 5e-7, "from a surrogate's log10, relative");
}

/* >> networks */

/* Every kind of layer that has code here. */
static int make_all_kinds(bml_nn **net) {
    bml_nn_layer l[20];
    bml_nn_config config = {l, 20, 3};
    memset(l, 0, sizeof l);
    l[0].kind = BML_NN_INPUT;
    l[0].name = "a";
    l[0].steps = 5;
    l[0].features = 3;
    l[1].kind = BML_NN_GRU;
    l[1].units = 11;
    l[1].sequence = 1;
    l[1].bidirectional = 1;
    l[2].kind = BML_NN_LAYER_NORM;
    l[3].kind = BML_NN_LSTM;
    l[3].units = 9;
    l[3].sequence = 1;
    l[4].kind = BML_NN_DENSE;
    l[4].units = 10;
    l[4].activation = BML_NN_SILU;
    l[4].name = "steps";
    l[5].kind = BML_NN_LSTM;
    l[5].units = 17;
    l[5].bidirectional = 1;
    l[5].name = "end";
    l[6].kind = BML_NN_FLATTEN;
    l[6].from[0] = "steps";
    l[6].name = "flat";
    l[7].kind = BML_NN_INPUT;
    l[7].features = 4;
    l[7].name = "b";
    l[8].kind = BML_NN_DENSE;
    l[8].units = 20;
    l[8].activation = BML_NN_GELU;
    l[8].name = "wide";
    l[9].kind = BML_NN_CONCAT;
    l[9].from[0] = "end";
    l[9].from[1] = "flat";
    l[9].from[2] = "wide";
    l[10].kind = BML_NN_BATCH_NORM;
    l[11].kind = BML_NN_DROPOUT;
    l[11].rate = 0.3;
    l[12].kind = BML_NN_BAYES;
    l[12].units = 24;
    l[12].activation = BML_NN_LEAKY_RELU;
    l[13].kind = BML_NN_RESHAPE;
    l[13].steps = 4;
    l[13].features = 6;
    l[14].kind = BML_NN_GRU;
    l[14].units = 13;
    l[14].sequence = 1;
    l[14].reset_before = 1;
    l[14].bidirectional = 1;
    l[15].kind = BML_NN_RNN;
    l[15].units = 12;
    l[15].sequence = 1;
    l[15].activation = BML_NN_RELU;
    l[16].kind = BML_NN_GRU;
    l[16].units = 70;
    l[16].sequence = 0;
    l[17].kind = BML_NN_DENSE;
    l[17].units = 70;
    l[17].activation = BML_NN_TANH;
    l[17].name = "step";
    l[18].kind = BML_NN_ADD;
    l[18].from[0] = "step";
    l[18].from[1] = "gru_16";
    l[19].kind = BML_NN_DENSE;
    l[19].units = 7;
    l[19].activation = BML_NN_SOFTMAX;
    return bml_nn_create(net, &config, NULL);
}

/* Weights, biases and scalers that are not zero; running means that are not those of the start. */
static void shake(bml_nn *net) {
    float shift[64];
    float scale[64];
    for (ptrdiff_t i = 0; i < net->n_params; i++)
        net->params[i] += (float)uniform(-0.05, 0.05);
    for (ptrdiff_t i = 0; i < net->n_running; i++)
        net->running[i] += (float)uniform(0.1, 0.5);
    for (int i = 0; i < 64; i++) {
        shift[i] = (float)uniform(-1, 1);
        scale[i] = (float)uniform(0.5, 2);
    }
    bml_nn_set_scaler(net, BML_NN_INPUTS, shift, scale);
    bml_nn_set_scaler(net, BML_NN_OUTPUTS, shift, scale);
}

static bml_cuda_net *to_device(bml_nn *net, int precision, int rows, int *status) {
    bml_cuda_net_config config = {precision, rows};
    bml_cuda_net *device = NULL;
    bml_cuda_bytes model = {NULL, 0};
    unsigned char *bytes = NULL;
    bml_nn_encode(net, &bytes, &model.size, BML_NN_F32);
    model.bytes = bytes;
    *status = bml_cuda_net_decode(&device, &model, &config, cuda);
    bml_nn_free_bytes(bytes);
    return device;
}

/* Largest |device - CPU| over `rows` rows; -1 if the orders of threads disagree. */
static double net_difference(bml_nn *net, int precision, int rows_of_block, size_t n) {
    enum { ROWS = 150, WIDTH = 64 };
    static float x[ROWS * WIDTH];
    static float y[ROWS * WIDTH];
    static float cpu[ROWS * WIDTH];
    static float again[ROWS * WIDTH];
    int status;
    int same = 1;
    double worst = 0;
    bml_cuda_net *device = to_device(net, precision, rows_of_block, &status);
    if (status || bml_cuda_net_n_in(device) != bml_nn_n_in(net) || bml_cuda_net_n_out(device) != bml_nn_n_out(net))
        return HUGE_VAL;
    for (size_t i = 0; i < n * bml_nn_n_in(net); i++)
        x[i] = (float)uniform(-1, 1);
    bml_nn_predict(net, NULL, cpu, x, n);
    for (int o = 0; o < ORDERS; o++) {
        set_order(orders[o]);
        if (bml_cuda_net_predict_host(o ? again : y, x, n, device)) return HUGE_VAL;
        if (o) same &= !memcmp(again, y, n * bml_nn_n_out(net) * sizeof *y);
    }
    set_order(0);
    bml_cuda_net_free(device);
    for (size_t i = 0; i < n * bml_nn_n_out(net); i++) {
        double d = fabs((double)y[i] - (double)cpu[i]);
        if (!(d <= worst)) worst = d;
    }
    return same ? worst : -1;
}

/* In float the same sums in another order: 1e-5 of outputs of size 1, behind eight layers. */
static void test_net_float(void) {
    static const size_t sizes[] = {0, 1, 15, 33, 130};
    bml_nn *net = NULL;
    double worst = 0;
    int status = make_all_kinds(&net);
    CHECK(!status, "a net with every kind of layer %s", bml_nn_message(net));
    if (status) return;
    shake(net);
    static const int blocks[] = {16, 64,
                                 0}; /* 0: 16 rows for two blocks' rows at most, as there are two multiprocessors */
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            double d = net_difference(net, BML_CUDA_F32, blocks[k], sizes[i]);
            if (!(d <= worst) || d < 0) worst = d < 0 ? HUGE_VAL : d;
        }
    CHECK_LE(worst, 2e-5 * rounding,
             "F32, all kinds of layers, blocks of 16, 64 and either, 0 to 130 rows, all orders of threads");
    bml_nn_free(net);
}

/* Largest 2-norm of a column of a matrix [depth][columns]. */
static double column_norm(const float *w, size_t depth, size_t columns) {
    double most = 0;
    for (size_t j = 0; j < columns; j++) {
        double sum = 0;
        for (size_t k = 0; k < depth; k++)
            sum += (double)w[k * columns + j] * (double)w[k * columns + j];
        most = fmax(most, sqrt(sum));
    }
    return most;
}

/* What 16-bit numbers do, to first order, as standard deviations: rounding x and w leaves in each product two errors,
   even in +-u |x w|, together of sd q = u sqrt(2/3) at most; independent, they add up through the 2-norm of a column
   of w, as does the error e of a state; |x|, |h| <= 1. GRU, h' = n + z (h - n): e, 2 e_z, e_n and the reset gate's
   part, which is the same before the product and after it; RNN: e_n alone; LSTM, c' = f c + i g, |c| <= steps, h' =
   o tanh c'. The logistic function has slopes up to 1/4. Six sd are allowed. A wrong fragment, gate or offset is wrong
   by the size of the outputs, 0.1 and more. */
static double expected_error(int kind, double q, double in, double state, double out) {
    double e = 0;
    double c = 0;
    for (int s = 0; s < (kind == BML_NN_DENSE ? 1 : 4); s++) {
        double sum = hypot(in * q, s ? state * hypot(e, q) : 0);
        double gate = sum / 4;
        if (kind == BML_NN_DENSE || kind == BML_NN_RNN)
            e = sum;
        else if (kind == BML_NN_GRU)
            e = hypot(hypot(e, 2 * gate), hypot(sum, state * gate));
        else {
            c = hypot(hypot(c, (s + 1) * gate), hypot(gate, sum));
            e = hypot(c, gate);
        }
    }
    return out * hypot(e, q);
}

static void test_net_16_bits(void) {
    static const double unit[3] = {1.0 / 2048, 1.0 / 256, 1.0 / 2048};
    static const int precisions[3] = {BML_CUDA_F16, BML_CUDA_BF16, BML_CUDA_TF32};
    static const char *const names[] = {"F16", "BF16", "TF32"};
    static const char *const kinds[] = {"", "dense", "GRU", "LSTM", "RNN", "GRU, reset before"};
    for (int which = 1; which <= 5; which++) {
        bml_nn_layer l[3];
        bml_nn_config config = {l, 3, 9};
        bml_nn *net = NULL;
        int kind = which == 5 ? BML_NN_GRU : which;
        int gates = kind == BML_NN_GRU ? 3 : kind == BML_NN_LSTM ? 4 : 1;
        size_t depth = kind == BML_NN_DENSE ? 20 : 5;
        size_t columns = 27 * (size_t)gates;
        double state = 0;
        memset(l, 0, sizeof l);
        l[0].kind = BML_NN_INPUT;
        l[0].steps = kind == BML_NN_DENSE ? 0 : 4;
        l[0].features = (int)depth;
        l[1].kind = kind;
        l[1].units = 27;
        l[1].name = "one";
        l[1].activation = kind == BML_NN_DENSE ? BML_NN_TANH : 0;
        l[1].reset_before = which == 5;
        l[2].kind = BML_NN_DENSE;
        l[2].units = 13;
        l[2].name = "two";
        if (bml_nn_create(&net, &config, NULL)) continue;
        for (ptrdiff_t i = 0; i < net->n_params; i++)
            net->params[i] += (float)uniform(-0.05, 0.05);
        size_t count;
        double in = column_norm(bml_nn_tensor(net, "one.kernel", &count), depth, columns);
        if (kind != BML_NN_DENSE) state = column_norm(bml_nn_tensor(net, "one.recurrent", &count), 27, columns);
        double out = column_norm(bml_nn_tensor(net, "two.kernel", &count), 27, 13);
        for (int p = 0; p < 3; p++) {
            double allowed = 6 * expected_error(kind, unit[p] * sqrt(2.0 / 3), in, state, out);
            double worst = 0;
            for (int rows = 16; rows <= 64; rows += 48) {
                double d = net_difference(net, precisions[p], rows, 70);
                if (!(d <= worst) || d < 0) worst = d < 0 ? HUGE_VAL : d;
            }
            CHECK(worst <= allowed && worst > 0, "%s, %s: %.2g from the CPU, rounding allows %.2g", names[p],
                  kinds[which], worst, allowed);
        }
        bml_nn_free(net);
    }
}

static void test_net_refusals(void) {
    bml_nn_layer l[3];
    bml_nn_config config = {l, 3, 1};
    bml_cuda_bytes rubbish = {(const unsigned char *)"rubbish", 7};
    bml_cuda_net_config odd = {BML_CUDA_F16, 48};
    bml_cuda_net *device = NULL;
    bml_nn *net = NULL;
    int capability = cuda->capability;
    memset(l, 0, sizeof l);
    l[0].kind = BML_NN_INPUT;
    l[0].steps = 6;
    l[0].features = 2;
    l[1].kind = BML_NN_CONV;
    l[1].units = 3;
    l[1].kernel = 2;
    l[1].name = "sieve";
    l[2].kind = BML_NN_GRU;
    l[2].units = 3;
    if (bml_nn_create(&net, &config, NULL)) return;
    int status;
    device = to_device(net, BML_CUDA_F16, 0, &status);
    CHECK(status == BML_CUDA_BAD_MODEL && !device && strstr(bml_cuda_message(cuda), "sieve"), "convolution: %s",
          bml_cuda_message(cuda));
    bml_nn_free(net);
    l[1].kind = BML_NN_DENSE;
    l[2].reset_before = 1;
    if (bml_nn_create(&net, &config, NULL)) return;
    cuda->capability = 75;
    device = to_device(net, BML_CUDA_BF16, 0, &status);
    CHECK(status == BML_CUDA_BAD_ARGUMENT && !device, "bfloat16 before compute capability 8.0");
    cuda->capability = capability;
    bml_nn_free(net);
    l[2].reset_before = 0;
    l[0].features = 4000;
    if (bml_nn_create(&net, &config, NULL)) return;
    device = to_device(net, BML_CUDA_F16, 0, &status);
    CHECK(status == BML_CUDA_OK && device && device->way[0].rows == 16, "a wide layer: 16 rows at a time");
    bml_cuda_net_free(device);
    device = to_device(net, BML_CUDA_F32, 64, &status);
    CHECK(status == BML_CUDA_TOO_LARGE && !device, "a layer too wide for shared memory");
    bml_nn_free(net);
    status = bml_cuda_net_decode(&device, &rubbish, NULL, cuda);
    CHECK(status == BML_CUDA_BAD_MODEL && !device, "rubbish: %s", bml_cuda_message(cuda));
    status = bml_cuda_net_load(&device, "no such file", NULL, cuda);
    CHECK(status == BML_CUDA_BAD_MODEL && !device, "no file: %s", bml_cuda_message(cuda));
    CHECK(bml_cuda_net_decode(&device, &rubbish, &odd, cuda) == BML_CUDA_BAD_ARGUMENT, "48 rows");
}

/* >> training */

enum { T_ROWS = 13, T_IN = 6 * 3 + 2, T_OUT = 3, T_DATA = 40 };
static float t_x[T_DATA * T_IN], t_y[T_DATA * T_OUT], t_weight[T_DATA];

/* Every kind of layer that is trained here; `last` is the activation of the three outputs. */
static int make_trainable(bml_nn **net, int last) {
    bml_nn_layer l[17];
    bml_nn_config config = {l, 17, 5};
    memset(l, 0, sizeof l);
    l[0].kind = BML_NN_INPUT;
    l[0].steps = 6;
    l[0].features = 3;
    l[1].kind = BML_NN_CONV;
    l[1].units = 5;
    l[1].kernel = 4;
    l[1].same = 1;
    l[1].activation = BML_NN_SILU;
    l[2].kind = BML_NN_GRU;
    l[2].units = 4;
    l[2].sequence = 1;
    l[2].bidirectional = 1;
    l[2].name = "both";
    l[3].kind = BML_NN_POOL;
    l[3].kernel = 3;
    l[3].stride = 1;
    l[4].kind = BML_NN_CONV;
    l[4].units = 4;
    l[4].kernel = 2;
    l[4].stride = 2;
    l[4].activation = BML_NN_TANH;
    l[5].kind = BML_NN_FLATTEN;
    l[5].name = "flat";
    l[6].kind = BML_NN_LSTM;
    l[6].units = 5;
    l[6].sequence = 1;
    l[6].from[0] = "both";
    l[7].kind = BML_NN_GRU;
    l[7].units = 4;
    l[7].sequence = 1;
    l[7].reset_before = 1;
    l[8].kind = BML_NN_RNN;
    l[8].units = 5;
    l[8].bidirectional = 1;
    l[8].name = "end";
    l[9].kind = BML_NN_INPUT;
    l[9].features = 2;
    l[10].kind = BML_NN_DENSE;
    l[10].units = 6;
    l[10].activation = BML_NN_GELU;
    l[10].name = "wide";
    l[11].kind = BML_NN_CONCAT;
    l[11].from[0] = "end";
    l[11].from[1] = "flat";
    l[11].from[2] = "wide";
    l[12].kind = BML_NN_DROPOUT;
    l[12].rate = 0.3;
    l[13].kind = BML_NN_DENSE;
    l[13].units = 10;
    l[13].activation = BML_NN_LEAKY_RELU;
    l[13].name = "step";
    l[14].kind = BML_NN_ADD;
    l[14].from[0] = "step";
    l[14].from[1] = "end";
    l[15].kind = BML_NN_RESHAPE;
    l[15].steps = 0;
    l[15].features = 10;
    l[16].kind = BML_NN_DENSE;
    l[16].units = T_OUT;
    l[16].activation = last;
    return bml_nn_create(net, &config, NULL);
}

/* 8 inputs, 11 units, T_OUT outputs. */
static int make_small(bml_nn **net, int last) {
    bml_nn_layer l[4];
    bml_nn_config config = {l, 4, 6};
    memset(l, 0, sizeof l);
    l[0].kind = BML_NN_INPUT;
    l[0].features = 8;
    l[1].kind = BML_NN_DENSE;
    l[1].units = 11;
    l[1].activation = BML_NN_SOFTPLUS;
    l[2].kind = BML_NN_DROPOUT;
    l[2].rate = 0.2;
    l[3].kind = BML_NN_DENSE;
    l[3].units = T_OUT;
    l[3].activation = last;
    return bml_nn_create(net, &config, NULL);
}

/* Data that every loss can take: targets within [0,1] (of a class: one of them 1), weights some of which are 0. */
static void random_rows(int classes) {
    for (int i = 0; i < T_DATA * T_IN; i++)
        t_x[i] = (float)uniform(-1, 1);
    for (int i = 0; i < T_DATA * T_OUT; i++)
        t_y[i] = classes ? i % T_OUT == i / T_OUT % T_OUT : (float)uniform(0, 1);
    for (int i = 0; i < T_DATA; i++)
        t_weight[i] = i % 5 ? (float)uniform(0.5, 2) : 0;
}

static bml_cuda_training lesson(bml_nn *net, const bml_nn_training *how, unsigned char **bytes) {
    bml_cuda_training t = {{NULL, 0}, how, 0};
    *bytes = NULL;
    bml_nn_encode(net, bytes, &t.model.size, BML_NN_F32);
    t.model.bytes = *bytes;
    return t;
}

/* Largest |a - b| of a tensor in the 2-norm, over that of b, or, for a tensor whose gradient is next to nothing, over a
   thousandth of the whole gradient's. */
static double tensor_difference(const bml_nn *net, const float *a, const float *b) {
    double worst = 0;
    double whole = 0;
    for (ptrdiff_t k = 0; k < net->n_params; k++)
        whole += (double)b[k] * (double)b[k];
    for (int i = 0; i < net->n_tensors; i++) {
        double d = 0;
        double norm = 0;
        for (ptrdiff_t k = net->tensors[i].offset; k < net->tensors[i].offset + net->tensors[i].count; k++) {
            d += ((double)a[k] - (double)b[k]) * ((double)a[k] - (double)b[k]);
            norm += (double)b[k] * (double)b[k];
        }
        d = sqrt(d) / fmax(sqrt(norm), 1e-3 * sqrt(whole));
        if (!(d <= worst)) worst = d;
    }
    return worst;
}

/* The gradient of the first batch on the device, rows taken through an index, against bml_nn.h's; worse: the loss and
   the norm, relative. -1 if the orders of threads disagree. */
static double gradient_difference(bml_nn *net, const bml_nn_training *how, int tf32, double *worse) {
    static uint32_t index[T_ROWS];
    static float got_g[8192];
    static float again[8192];
    bml_nn_trainer *cpu = NULL;
    bml_cuda_trainer *device = NULL;
    bml_cuda_progress now = {};
    unsigned char *bytes;
    bml_cuda_training t = lesson(net, how, &bytes);
    bml_cuda__buffers b = {cuda, {}, 0, BML_CUDA_OK, 0};
    double d = HUGE_VAL;
    int same = 1;
    t.tf32 = tf32;
    if (net->n_params > 8192 || bml_nn_trainer_create(&cpu, net, how, NULL)) {
        bml_nn_free_bytes(bytes);
        return HUGE_VAL;
    }
    memcpy(again, net->params, bml_nn_n_params(net) * sizeof *again);
    for (uint32_t i = 0; i < T_ROWS; i++)
        index[i] = (uint32_t)cpu->train[i]; /* in order: the first rows */
    bml_cuda_batch batch = {(float *)bml_cuda__buffer(&b, t_x, (ptrdiff_t)how->n * net->n_in, sizeof(float)),
                            (float *)bml_cuda__buffer(&b, t_y, (ptrdiff_t)how->n * net->n_out, sizeof(float)),
                            how->weights ? (float *)bml_cuda__buffer(&b, t_weight, (ptrdiff_t)how->n, sizeof(float))
                                         : NULL,
                            (uint32_t *)bml_cuda__buffer(&b, index, T_ROWS, sizeof *index),
                            T_ROWS,
                            0};
    for (int o = 0; o < ORDERS && !b.status; o++) {
        set_order(orders[o]);
        b.status = bml_cuda_trainer_create(&device, &t, cuda);
        if (!b.status) b.status = bml_cuda_trainer_step(&batch, NULL, device);
        if (!b.status) b.status = bml_cuda_trainer_progress(&now, NULL, device);
        bml_cuda__fetch(&b, o ? again : got_g, device ? device->learner.g : NULL, bml_nn_n_params(net) * sizeof(float));
        if (o) same &= !memcmp(again, got_g, bml_nn_n_params(net) * sizeof *again);
        bml_cuda_trainer_free(device);
    }
    set_order(0);
    if (!b.status && !bml_nn_trainer_run(cpu, 1)) {
        *worse = fmax(fabs(now.loss / cpu->last.loss - 1), fabs(now.gradient_norm / cpu->last.gradient_norm - 1));
        d = same && *worse == *worse ? tensor_difference(net, got_g, cpu->lanes[0].grad) : -1;
    }
    bml_nn_trainer_free(cpu);
    bml_nn_free_bytes(bytes);
    return bml_cuda__done(&b) ? HUGE_VAL : d;
}

/* All rows at once. */
static bml_nn_training small_course(void) {
    bml_nn_training how = {};
    how.x = t_x;
    how.y = t_y;
    how.n = T_ROWS;
    how.batch = T_ROWS;
    return how;
}

/* In float, the same sums in another order: fifteen layers and steps forward, as many back, each with an error of a few
   1e-7 of its own, random: 2e-6 in the mean; ten times that are allowed. In tf32 each rounds its factors, 4e-4 in the
   mean: 2e-3, and five times that, for terms of both signs that cancel. A wrong index or sign is wrong by 0.1. */
static void test_gradients(void) {
    static const int last[] = {BML_NN_LINEAR, BML_NN_SOFTPLUS, BML_NN_HARDTANH, BML_NN_SIGMOID,
                               BML_NN_LINEAR, BML_NN_SOFTMAX,  BML_NN_LINEAR};
    static const char *const names[] = {
        "MSE", "MSLE", "MAE", "binary", "binary from logits", "classes", "classes from logits"};
    bml_nn_training how = small_course();
    bml_nn *net = NULL;
    double worse = HUGE_VAL;
    how.epochs = 1;
    how.in_order = 1;
    how.keep_last = 1;
    how.l2 = 0.01;
    how.clip = 0.5;
    how.seed = 0x900000007ull;
    how.block = T_ROWS;
    double d;
    for (int tf32 = 0; tf32 < 2; tf32++) {
        random_rows(0);
        if (make_trainable(&net, BML_NN_TANH)) return;
        shake(net);
        d = gradient_difference(net, &how, tf32, &worse);
        CHECK(d >= 0 && d <= (tf32 ? 1e-2 : 2e-5 * rounding) && worse <= (tf32 ? 1e-2 : 2e-5 * rounding),
              "gradient of all kinds of layers, %s, any order of threads: %.2g from the CPU's, loss and norm %.2g",
              tf32 ? "tf32" : "float", d, worse);
        bml_nn_free(net);
    }
    for (int loss = 0; loss < BML_NN_CUSTOM; loss++) {
        random_rows(loss >= BML_NN_CATEGORICAL);
        if (make_small(&net, last[loss])) return;
        how.loss = loss;
        how.weights = loss % 2 ? t_weight : NULL;
        d = gradient_difference(net, &how, 0, &worse);
        CHECK(d >= 0 && d <= 5e-6 * rounding && worse <= 5e-6 * rounding,
              "%s: gradient %.2g from the CPU's, loss and norm %.2g", names[loss], d, worse);
        bml_nn_free(net);
    }
}

#ifdef BML_CUDA_CUBLASLT
/* The same through the library. */
static void test_library_gradients(void) {
    bml_nn_training how = small_course();
    how.epochs = 1;
    how.in_order = 1;
    how.keep_last = 1;
    how.block = T_ROWS;
    library_from = 0;
    for (int tf32 = 0; tf32 < 2; tf32++) {
        bml_nn *net = NULL;
        double worse = HUGE_VAL;
        double most = tf32 ? 1e-2 : 2e-5 * rounding;
        random_rows(0);
        if (make_trainable(&net, BML_NN_TANH)) return;
        shake(net);
        double d = gradient_difference(net, &how, tf32, &worse);
        CHECK(d >= 0 && d <= most && worse <= most, "cuBLASLt, %s: gradient %.2g from the CPU's, loss and norm %.2g",
              tf32 ? "tf32" : "float", d, worse);
        bml_nn_free(net);
    }
    library_from = 1e300;
}
#endif

/* One update of many weights from the same gradient and moments: five roundings of the change, and one of the sum. */
static void test_optimisers(void) {
    static const char *const names[] = {"Adam", "AdamW", "RMSprop", "SGD"};
    enum { MANY = 8 * 11 + 11 + 11 * T_OUT + T_OUT };
    static float g[MANY];
    static float back[4 * MANY];
    for (int optimizer = 0; optimizer < BML_NN_N_OPTIMIZERS; optimizer++) {
        bml_nn_training how = {};
        bml_nn *net = NULL;
        bml_nn_trainer *cpu = NULL;
        bml_cuda_trainer *device = NULL;
        unsigned char *bytes;
        double worst = 0;
        random_rows(0);
        how.x = t_x;
        how.y = t_y;
        how.n = T_ROWS;
        how.optimizer = optimizer;
        how.learning_rate = 0.01;
        how.momentum = optimizer == BML_NN_SGD ? 0.9 : 0;
        how.block = T_ROWS;
        if (make_small(&net, 0) || bml_nn_trainer_create(&cpu, net, &how, NULL)) return;
        bml_cuda_training t = lesson(net, &how, &bytes);
        int status = bml_cuda_trainer_create(&device, &t, cuda);
        for (int step = 0; step < 3 && !status; step++) {
            bml_cuda_copy put = {device->learner.g, g, sizeof g};
            bml_cuda_copy get = {back, device->learner.w, sizeof back};
            bml_cuda__tally fresh = {};
            bml_cuda_copy tell = {device->learner.tally, &fresh, sizeof fresh};
            fresh.factor = 0.5f;
            fresh.step = (uint32_t)step;
            bml_cuda__next_step(&fresh, 0.01);
            for (int k = 0; k < MANY; k++)
                g[k] = (float)(uniform(-1, 1) * pow(10, uniform(-9, 1))); /* and zeros */
            for (int k = 0; k < MANY; k += 7)
                g[k] = 0;
            memcpy(cpu->lanes[0].grad, g, sizeof g);
            bml_cuda__rates_of(device, 0.01);
            status = bml_cuda_put(&put, NULL, cuda);
            if (!status) status = bml_cuda_put(&tell, NULL, cuda);
            bml_cuda__update op = {device->learner};
            if (!status) bml_cuda__each(device, MANY, op);
            bml_nn__update_all(cpu, 0.01, 0.5);
            cpu->step++;
            if (!status) status = bml_cuda_get(&get, NULL, cuda);
            if (!status) status = bml_cuda_wait(NULL, cuda);
            for (int k = 0; k < MANY; k++) { /* a step of Adam is 0.03 at most here, of SGD 0.3 */
                double change = optimizer == BML_NN_SGD ? 0.3 : 0.03;
                double ulp = (double)FLT_EPSILON * (step + 1) * rounding;
                double e = fabs((double)back[k] - (double)net->params[k]) /
                           ((5 * change + fabs((double)net->params[k])) * ulp);
                if (!(e <= worst)) worst = e;
            }
        }
        CHECK(!status && worst <= 1, "%s, three updates: %.2g of the rounding allowed", names[optimizer], worst);
        bml_cuda_trainer_free(device);
        bml_nn_trainer_free(cpu);
        bml_nn_free(net);
        bml_nn_free_bytes(bytes);
    }
}

static double half_square(const bml_nn_batch *b, void *user) {
    double sum = 0;
    (void)user;
    for (size_t i = 0; i < (size_t)b->n * b->n_out; i++) {
        float miss = b->prediction[i] - b->target[i];
        sum += (double)(miss * miss) / 2;
        b->gradient[i] = miss / (float)((size_t)b->n * b->n_out);
    }
    return sum / ((double)b->n * (double)b->n_out);
}

static int stop_at_two(const bml_nn_epoch *e, void *user) {
    *(int *)user += 1;
    return e->epoch >= 2;
}

/* Some epochs by both, from the same start: how far the weights are apart, over how far they went. */
static double course_difference(bml_nn *net, const bml_nn_training *how, bml_nn_epoch *a, bml_nn_epoch *b,
                                int *status) {
    static float start[8192];
    static float moved[8192];
    unsigned char *bytes;
    bml_cuda_training t = lesson(net, how, &bytes);
    double d = 0;
    double way = 0;
    memcpy(start, net->params, bml_nn_n_params(net) * sizeof *start);
    *status = bml_cuda_train_host(moved, a, &t, cuda);
    bml_nn_free_bytes(bytes);
    bml_nn_train(net, how, b);
    for (ptrdiff_t k = 0; k < net->n_params; k++) {
        d += ((double)moved[k] - (double)net->params[k]) * ((double)moved[k] - (double)net->params[k]);
        way += ((double)start[k] - (double)net->params[k]) * ((double)start[k] - (double)net->params[k]);
    }
    return sqrt(d / way);
}

static int epochs_agree(const bml_nn_epoch *a, const bml_nn_epoch *b, double tolerance) {
    double pair[6][2] = {{a->loss, b->loss},
                         {a->val_loss, b->val_loss},
                         {a->gradient_norm, b->gradient_norm},
                         {a->learning_rate, b->learning_rate},
                         {a->accuracy, b->accuracy},
                         {a->val_accuracy, b->val_accuracy}};
    int same = a->epoch == b->epoch && a->best_epoch == b->best_epoch && a->batch == b->batch && a->last == b->last;
    for (int i = 0; i < 6; i++) {
        int nans = (pair[i][0] != pair[i][0]) + (pair[i][1] != pair[i][1]);
        same &= nans == 2 || (!nans && fabs(pair[i][0] - pair[i][1]) <= tolerance * (1e-3 + fabs(pair[i][1])));
    }
    return same;
}

/* Adam divides by the gradient's size: a gradient g that is wrong by d moves its weight by 2 at most, d/|g| in the
   mean, too far. With |g| normal of sd s, the root mean square of that is sqrt(3 d/s): 8e-3 of a step for d/s = 2e-5.
   Losses see the square of it, and d. With SGD the error is d itself, a few times over as steps follow each other. */
static void test_courses(void) {
    bml_nn_training how = {};
    bml_nn_epoch a = {};
    bml_nn_epoch b = {};
    bml_nn *net = NULL;
    int status;
    int calls = 0;
    random_rows(0);
    if (make_trainable(&net, BML_NN_LINEAR)) return;
    how.x = t_x;
    how.y = t_y;
    how.n = T_DATA;
    how.batch = 16;
    how.validation = 0.25;
    how.epochs = 2;
    how.seed = 11;
    how.weights = t_weight;
    how.schedule = BML_NN_COSINE;
    how.warmup = 2;
    how.learning_rate = 3e-3;
    how.block = 16;
    how.clip = 0.05;
    double d = course_difference(net, &how, &a, &b, &status);
    CHECK(!status && d <= 1e-2 && epochs_agree(&a, &b, 1e-3),
          "two epochs of all layers, Adam, shuffled, weighted, validated: weights %.2g of their way apart, loss %.6g "
          "and %.6g",
          d, a.loss, b.loss);
    bml_nn_free(net);
    if (make_small(&net, BML_NN_LINEAR)) return;
    shake(net);
    how.optimizer = BML_NN_SGD;
    how.momentum = 0.5;
    how.learning_rate = 0.1;
    how.epochs = 4;
    how.validation = 0;
    how.loss = BML_NN_CUSTOM;
    how.loss_fn = half_square;
    how.x_val = t_x;
    how.y_val = t_y;
    how.n_val = 37;
    how.patience = 3;
    d = course_difference(net, &how, &a, &b, &status);
    CHECK(!status && d <= 5e-5 * rounding && epochs_agree(&a, &b, 1e-4),
          "a loss of one's own, SGD: weights %.2g of their way apart", d);
    bml_nn_free(net);
    random_rows(1);
    if (make_small(&net, BML_NN_LINEAR)) return;
    static const double of_class[T_OUT] = {1, 0.5, 2};
    how.loss = BML_NN_CATEGORICAL_LOGITS;
    how.class_weights = of_class;
    how.callback = stop_at_two;
    how.user = &calls;
    how.batch = 64;
    d = course_difference(net, &how, &a, &b, &status);
    CHECK(status == BML_CUDA_CANCELLED && calls == 4 && a.epoch == 2 && d <= 5e-5 * rounding &&
              epochs_agree(&a, &b, 1e-4),
          "class weights, stopped by the callback: %s", bml_cuda_message(cuda));
    how.class_weights = NULL;
    how.callback = NULL;
    how.loss = BML_NN_MSE;
    net->params[net->n_params - 1] = 3e38f; /* an output's bias: its slope is twice that, which no float holds */
    d = course_difference(net, &how, &a, &b, &status);
    CHECK(status == BML_CUDA_NAN && strstr(bml_cuda_message(cuda), "epoch 1") && a.epoch == 0 && b.epoch == 0 && d != d,
          "a gradient that overflows leaves all weights, as on the CPU: %s", bml_cuda_message(cuda));
    bml_nn_free(net);
}

static void test_trainer_refusals(void) {
    bml_nn_layer l[3];
    bml_nn_config config = {l, 3, 1};
    bml_nn_training how = {};
    bml_nn *net = NULL;
    bml_cuda_trainer *device = NULL;
    bml_cuda_batch batch = {t_x, t_y, NULL, NULL, 0, 0};
    unsigned char *bytes;
    float bad[1] = {NAN};
    int capability = cuda->capability;
    memset(l, 0, sizeof l);
    l[0].kind = BML_NN_INPUT;
    l[0].features = 2;
    l[1].kind = BML_NN_BATCH_NORM;
    l[1].name = "even";
    l[2].kind = BML_NN_DENSE;
    l[2].units = 1;
    if (bml_nn_create(&net, &config, NULL)) return;
    bml_cuda_training t = lesson(net, &how, &bytes);
    int status = bml_cuda_trainer_create(&device, &t, cuda);
    CHECK(status == BML_CUDA_BAD_MODEL && !device && strstr(bml_cuda_message(cuda), "even"), "batch norm: %s",
          bml_cuda_message(cuda));
    bml_nn_free_bytes(bytes);
    bml_nn_free(net);
    if (make_small(&net, 0)) return;
    t = lesson(net, &how, &bytes);
    how.learning_rate = (double)NAN;
    status = bml_cuda_trainer_create(&device, &t, cuda);
    CHECK(status == BML_CUDA_BAD_ARGUMENT && !device, "a setting that is NaN: %s", bml_cuda_message(cuda));
    how.learning_rate = 0;
    cuda->capability = 75;
    t.tf32 = 1;
    CHECK(bml_cuda_trainer_create(&device, &t, cuda) == BML_CUDA_BAD_ARGUMENT, "tf32 before compute capability 8.0");
    cuda->capability = capability;
    t.tf32 = 0;
    how.x = bad;
    how.y = t_y;
    how.n = 1;
    CHECK(bml_cuda_train_host(got, NULL, &t, cuda) == BML_CUDA_BAD_ARGUMENT, "data that are NaN: %s",
          bml_cuda_message(cuda));
    bml_cuda_progress now;
    CHECK(bml_cuda_train_host(NULL, NULL, &t, cuda) == BML_CUDA_BAD_ARGUMENT &&
              bml_cuda_trainer_create(&device, NULL, cuda) == BML_CUDA_BAD_ARGUMENT &&
              bml_cuda_trainer_step(&batch, NULL, NULL) == BML_CUDA_BAD_ARGUMENT &&
              bml_cuda_trainer_get(NULL, NULL, NULL) == BML_CUDA_BAD_ARGUMENT &&
              bml_cuda_trainer_progress(&now, NULL, NULL) == BML_CUDA_BAD_ARGUMENT,
          "nothing to train is refused");
    status = bml_cuda_trainer_create(&device, &t, cuda);
    CHECK(!status && bml_cuda_trainer_n_weights(device) == bml_nn_n_params(net), "a trainer");
    CHECK(bml_cuda_trainer_step(&batch, NULL, device) == BML_CUDA_BAD_ARGUMENT, "no rows");
    batch.n = 33;
    CHECK(bml_cuda_trainer_step(&batch, NULL, device) == BML_CUDA_BAD_ARGUMENT, "more rows than the batch has");
    bml_cuda_trainer_free(device);
    bml_cuda_trainer_free(NULL);
    bml_nn_free_bytes(bytes);
    bml_nn_free(net);
}

/* >> what a program around it sees: graphs, errors of its own, memory, other objects */

/* Three replays of a captured call draw what three calls in a row do. */
static void test_photon_graph(void) {
    static float direct[3][N];
    static float replay[3][N];
    for (int method = BML_CUDA_NET; method <= BML_CUDA_TABLE; method++) {
        bml_cuda_compton_config config = {method, NULL};
        bml_cuda_compton *sampler = NULL;
        bml_cuda_photons p = {};
        void *energy = NULL;
        void *counter = NULL;
        uint64_t zero = 0;
        cudaStream_t stream;
        cudaGraph_t graph;
        cudaGraphExec_t exec;
        if (bml_cuda_compton_create(&sampler, &config, cuda)) return;
        bml_cuda_alloc(&energy, sizeof replay[0], cuda);
        bml_cuda_alloc(&counter, sizeof zero, cuda);
        bml_cuda_copy reset = {counter, &zero, sizeof zero};
        bml_cuda_copy get = {NULL, energy, sizeof replay[0]};
        p.n = N;
        p.same_gamma = 15; /* where some photons are the edge's */
        p.same_eps0 = 1e-3f;
        p.seed = 4;
        for (int k = 0; k < 3; k++) {
            bml_cuda_compton_sample_host(direct[k], &p, sampler);
            p.skip += bml_cuda_compton_blocks(N);
        }
        p.skip = 0;
        p.counter = (uint64_t *)counter;
        int status = bml_cuda_put(&reset, NULL, cuda);
        status |= bml_cuda_wait(NULL, cuda);
        cudaStreamCreate(&stream);
        cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
        status |= bml_cuda_compton_sample(energy, &p, stream, sampler);
        cudaStreamEndCapture(stream, &graph);
        cudaGraphInstantiate(&exec, graph, 0);
        for (int k = 0; k < 3; k++) {
            cudaGraphLaunch(exec, stream);
            get.to = replay[k];
            status |= bml_cuda_get(&get, stream, cuda);
            status |= bml_cuda_wait(stream, cuda);
        }
        CHECK(!status && !memcmp(direct, replay, sizeof direct),
              "%s, three replays of a graph draw three calls' photons", method ? "table" : "net");
        cudaGraphExecDestroy(exec);
        cudaGraphDestroy(graph);
        cudaStreamDestroy(stream);
        bml_cuda_release(energy, cuda);
        bml_cuda_release(counter, cuda);
        bml_cuda_compton_free(sampler);
    }
}

/* Five replays of a captured training step are five steps: Adam's numbers, dropout, sums. */
static void test_training_graph(void) {
    bml_nn_training how = small_course();
    bml_nn *net = NULL;
    unsigned char *bytes = NULL;
    static float after[2][2048];
    bml_cuda_progress seen[2];
    void *x = NULL;
    void *y = NULL;
    random_rows(0);
    how.learning_rate = 0.01;
    if (make_small(&net, 0)) return;
    bml_cuda_training t = lesson(net, &how, &bytes);
    int status = bml_cuda_alloc(&x, sizeof t_x, cuda);
    status |= bml_cuda_alloc(&y, sizeof t_y, cuda);
    bml_cuda_copy put_x = {x, t_x, sizeof t_x};
    bml_cuda_copy put_y = {y, t_y, sizeof t_y};
    status |= bml_cuda_put(&put_x, NULL, cuda);
    status |= bml_cuda_put(&put_y, NULL, cuda);
    bml_cuda_batch batch = {(float *)x, (float *)y, NULL, NULL, T_ROWS, 0};
    for (int graph = 0; graph < 2; graph++) {
        bml_cuda_trainer *trainer = NULL;
        cudaStream_t stream;
        cudaGraph_t made;
        cudaGraphExec_t exec;
        status |= bml_cuda_trainer_create(&trainer, &t, cuda);
        cudaStreamCreate(&stream);
        if (graph) {
            cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
            status |= bml_cuda_trainer_step(&batch, stream, trainer);
            cudaStreamEndCapture(stream, &made);
            cudaGraphInstantiate(&exec, made, 0);
        }
        for (int k = 0; k < 5; k++) {
            if (graph)
                cudaGraphLaunch(exec, stream);
            else
                status |= bml_cuda_trainer_step(&batch, stream, trainer);
        }
        status |= bml_cuda_trainer_progress(&seen[graph], stream, trainer);
        if (bml_cuda_trainer_n_weights(trainer) <= 2048) status |= bml_cuda_trainer_get(after[graph], stream, trainer);
        if (graph) {
            cudaGraphExecDestroy(exec);
            cudaGraphDestroy(made);
        }
        cudaStreamDestroy(stream);
        bml_cuda_trainer_free(trainer);
    }
    CHECK(!status && !memcmp(after[0], after[1], sizeof after[0]) && after[0][0] != 0,
          "five replays of a training step are five steps, to the bit");
    CHECK(seen[0].loss == seen[1].loss && seen[0].gradient_norm == seen[1].gradient_norm, "and tell of five");
    bml_cuda_release(x, cuda);
    bml_cuda_release(y, cuda);
    bml_nn_free(net);
    bml_nn_free_bytes(bytes);
}

/* An error of the caller's own, which nobody has asked about yet, is neither ours nor lost. */
static void test_error_of_the_caller(void) {
    bml_cuda_photons p = {};
    bml_cuda_compton *sampler = NULL;
    p.n = 10;
    p.same_gamma = 100;
    p.same_eps0 = 1e-3f;
    cudaGetLastError();
    cudaError_t own = cudaSetDevice(77);
    int status = bml_cuda_compton_create(&sampler, NULL, cuda);
    if (!status) status = bml_cuda_compton_sample_host(got, &p, sampler);
    CHECK(own != cudaSuccess && !status && cudaGetLastError() == own, "an error of the caller's is left alone");
    CHECK(cudaGetLastError() == cudaSuccess, "once");
    bml_cuda_compton_free(sampler);
}

static bml_cuda_net *dense_net(int units) {
    bml_nn_layer l[3];
    bml_nn_config config = {l, 3, 1};
    bml_nn *net = NULL;
    int status;
    memset(l, 0, sizeof l);
    l[0].kind = BML_NN_INPUT;
    l[0].features = 6;
    l[1].kind = BML_NN_DENSE;
    l[1].units = units;
    l[2].kind = BML_NN_DENSE;
    l[2].units = 4;
    if (bml_nn_create(&net, &config, NULL)) return NULL;
    bml_cuda_net *device = to_device(net, BML_CUDA_F16, 64, &status);
    bml_nn_free(net);
    return device;
}

/* A second, smaller object beside a larger one: the limit of shared memory belongs to the kernel, not to the object. */
static void test_shared_memory(void) {
    bml_cuda_source s = {};
    bml_ssc_source cpu;
    bml_ssc_observer o;
    double frequency[3] = {1e12, 1e15, 1e20};
    double out[3];
    int one;
    float x[6] = {0};
    float y[4];
    bml_cuda_ssc_config all = {};
    bml_cuda_ssc_config narrow = {};
    bml_cuda_ssc *large = NULL;
    bml_cuda_ssc *small = NULL;
    random_source(&s, &cpu, &o);
    bml_cuda_spectra job = {out, &one, &s, frequency, NULL, 1, 3, 0};
    all.single = narrow.single = 1;
    narrow.gamma_max = 1e7;
    narrow.B_min = 1e-2;
    bml_cuda_ssc_create(&large, &all, cuda);
    int before = bml_cuda_ssc_solve_host(&job, large);
    bml_cuda_ssc_create(&small, &narrow, cuda);
    int after = bml_cuda_ssc_solve_host(&job, large);
    CHECK(large && small && before == after && after != BML_CUDA_RUNTIME, "a solver beside a larger one: %d, then %d",
          before, after);
    bml_cuda_net *wide = dense_net(512);
    before = bml_cuda_net_predict_host(y, x, 1, wide);
    bml_cuda_net *slim = dense_net(64);
    after = bml_cuda_net_predict_host(y, x, 1, wide);
    CHECK(wide && slim && !before && !after, "a net beside a wider one: %d, then %d", before, after);
    bml_cuda_net_free(wide);
    bml_cuda_net_free(slim);
    bml_cuda_ssc_free(large);
    bml_cuda_ssc_free(small);
}

/* >> without a device, without memory, without arguments */

#ifndef __CUDACC__

/* The second call with host pointers takes no memory; after bml_cuda_trim it does again. */
static void test_kept_buffers(void) {
    bml_cuda_photons p = {};
    bml_cuda_compton *sampler = NULL;
    p.n = 200;
    p.same_gamma = 100;
    p.same_eps0 = 1e-3f;
    if (bml_cuda_compton_create(&sampler, NULL, cuda)) return;
    bml_cuda_compton_sample_host(got, &p, sampler);
    long before = cuda_host.mallocs;
    p.n = 100;
    int status = bml_cuda_compton_sample_host(got, &p, sampler);
    CHECK(!status && cuda_host.mallocs == before, "buffers of calls with host pointers are kept");
    bml_cuda_trim(cuda);
    status = bml_cuda_compton_sample_host(got, &p, sampler);
    CHECK(!status && cuda_host.mallocs == before + 1, "until they are given back");
    bml_cuda_compton_free(sampler);
}

static void test_no_device(void) {
    bml_cuda *none = NULL;
    bml_cuda_compton *sampler = NULL;
    bml_cuda_ssc *solver = NULL;
    bml_cuda_net *net = NULL;
    bml_cuda_trainer *trainer = NULL;
    bml_cuda_copy copy = {NULL, NULL, 0};
    bml_cuda_likelihoods l = {};
    void *p = NULL;
    cuda_host.devices = 0;
    int status = bml_cuda_create(&none, 0);
    CHECK(status == BML_CUDA_NO_DEVICE && none && bml_cuda_message(none)[0], "no device: %s", bml_cuda_message(none));
    CHECK(bml_cuda_compton_create(&sampler, NULL, none) == BML_CUDA_NO_DEVICE && !sampler &&
              bml_cuda_ssc_create(&solver, NULL, none) == BML_CUDA_NO_DEVICE && !solver &&
              bml_cuda_net_load(&net, "x", NULL, none) == BML_CUDA_NO_DEVICE && !net &&
              bml_cuda_trainer_create(&trainer, NULL, none) == BML_CUDA_NO_DEVICE && !trainer &&
              bml_cuda_train_host(got, NULL, NULL, none) == BML_CUDA_NO_DEVICE &&
              bml_cuda_alloc(&p, 8, none) == BML_CUDA_NO_DEVICE &&
              bml_cuda_put(&copy, NULL, none) == BML_CUDA_NO_DEVICE &&
              bml_cuda_get(&copy, NULL, none) == BML_CUDA_NO_DEVICE &&
              bml_cuda_wait(NULL, none) == BML_CUDA_NO_DEVICE &&
              bml_cuda_log_likelihood(&l, NULL, none) == BML_CUDA_NO_DEVICE,
          "every entry point says so");
    bml_cuda_free(none);
    cuda_host.devices = 1;
    CHECK(bml_cuda_create(&none, 3) == BML_CUDA_BAD_ARGUMENT, "device 3 of 1");
    CHECK(bml_cuda_compton_create(&sampler, NULL, none) == BML_CUDA_NO_DEVICE, "is not open");
    bml_cuda_free(none);
    CHECK(bml_cuda_create(NULL, 0) == BML_CUDA_BAD_ARGUMENT &&
              bml_cuda_compton_create(NULL, NULL, cuda) == BML_CUDA_BAD_ARGUMENT &&
              bml_cuda_compton_sample(got, NULL, NULL, NULL) == BML_CUDA_BAD_ARGUMENT &&
              bml_cuda_compton_sample_host(NULL, NULL, NULL) == BML_CUDA_BAD_ARGUMENT &&
              bml_cuda_ssc_solve(NULL, NULL, NULL) == BML_CUDA_BAD_ARGUMENT &&
              bml_cuda_ssc_solve_host(NULL, NULL) == BML_CUDA_BAD_ARGUMENT &&
              bml_cuda_net_predict(NULL, NULL, 1, NULL, NULL) == BML_CUDA_BAD_ARGUMENT &&
              bml_cuda_alloc(NULL, 1, cuda) == BML_CUDA_BAD_ARGUMENT,
          "nothing at all is refused");
    bml_cuda_free(NULL);
    bml_cuda_compton_free(NULL);
    bml_cuda_ssc_free(NULL);
    bml_cuda_net_free(NULL);
    CHECK(
        !strcmp(bml_cuda_strerror(BML_CUDA_OUTSIDE), "the source is outside the limits that the solver was made for") &&
            !strcmp(bml_cuda_strerror(-99), "unknown status"),
        "messages");
}

/* Each call with room for 0, 1, 2 ... allocations ends with NO_MEMORY until it has enough (and, as the address
   sanitizer sees, frees what it had). */
static void test_no_memory(void) {
    bml_cuda_photons p = {};
    bml_cuda_source s;
    bml_cuda_compton *sampler = NULL;
    bml_cuda_compton_config table = {BML_CUDA_TABLE, NULL};
    bml_cuda_ssc *solver = NULL;
    bml_cuda_spectra job = {flux, NULL, &s, nu, NULL, 1, NU, BML_SSC_TOTAL};
    bml_cuda_net *device = NULL;
    bml_nn *net = NULL;
    bml_nn *small = NULL;
    bml_nn_training how = {};
    unsigned char *bytes = NULL;
    int failures = 0;
    int all_told = 1;
    random_pairs(10, 1);
    bml_ssc_source cpu;
    bml_ssc_observer o;
    random_source(&s, &cpu, &o);
    p.n = 10;
    p.gamma = gamma_;
    p.eps0 = eps0;
    p.u = u;
    p.rest = got_rest;
    int one;
    job.status = &one;
    if (make_all_kinds(&net) || make_small(&small, 0)) return;
    how.x = how.x_val = t_x;
    how.y = how.y_val = t_y;
    how.weights = t_weight;
    how.n = how.n_val = 8;
    how.epochs = 1;
    shake(small); /* with scalers, which take memory, too */
    bml_cuda_training t = lesson(small, &how, &bytes);
    int status;
    int k;
    for (int what = 0; what < 6; what++)
        for (k = 0, status = BML_CUDA_NO_MEMORY; status == BML_CUDA_NO_MEMORY && k < 20; k++, failures++) {
            bml_cuda_trim(cuda);
            cuda_host.mallocs_left = k;
            if (what == 0) status = bml_cuda_compton_create(&sampler, &table, cuda);
            if (what == 1) status = bml_cuda_compton_sample_host(got, &p, sampler);
            if (what == 2) status = bml_cuda_ssc_create(&solver, NULL, cuda);
            if (what == 3) status = bml_cuda_ssc_solve_host(&job, solver);
            if (what == 4) device = to_device(net, BML_CUDA_F16, 0, &status);
            if (what == 5) status = bml_cuda_train_host(got, NULL, &t, cuda);
            all_told &= status == BML_CUDA_OK || (status == BML_CUDA_NO_MEMORY && bml_cuda_message(cuda)[0]);
        }
    cuda_host.mallocs_left = -1;
    CHECK(all_told && status == BML_CUDA_OK && failures > 28, "memory that ends after 0, 1, 2 ... pieces: %d calls",
          failures);
    bml_cuda_compton_free(sampler);
    bml_cuda_ssc_free(solver);
    bml_cuda_net_free(device);
    bml_nn_free(net);
    bml_nn_free(small);
    bml_nn_free_bytes(bytes);
}

#endif

#if defined(BML_CUDA_CUBLASLT) && !defined(__CUDACC__)
/* >> large products, by a stand-in for cuBLASLt */

static int small_trainer(bml_cuda_trainer **trainer) {
    bml_nn_training how = small_course();
    how.learning_rate = 0.01;
    bml_nn *net = NULL;
    unsigned char *bytes = NULL;
    *trainer = NULL;
    if (make_small(&net, 0)) return BML_CUDA_NO_MEMORY;
    bml_cuda_training t = lesson(net, &how, &bytes);
    int status = bml_cuda_trainer_create(trainer, &t, cuda);
    bml_nn_free(net);
    bml_nn_free_bytes(bytes);
    return status;
}

/* "Device" memory is the host's here. */
static int small_step(bml_cuda_trainer *trainer) {
    bml_cuda_batch batch = {t_x, t_y, NULL, NULL, T_ROWS, 0};
    return bml_cuda_trainer_step(&batch, NULL, trainer);
}

/* More shapes than the trainer keeps, each matrix by rows and by columns, with gaps, set and added to, off any
   alignment but a float's. Sums of m terms are rounded m times. */
static void test_library_products(void) {
    enum { SIDE = 12, ROOM = SIDE * (SIDE + 5) + 8 };
    static float a[ROOM];
    static float b[ROOM];
    static float c[ROOM];
    static float before[ROOM];
    bml_cuda_trainer *trainer = NULL;
    double worst = 0;
    int outside = 1;
    int status = small_trainer(&trainer);
    long products = cublaslt_host.products;
    library_from = 0;
    for (int i = 0; i < ROOM; i++) {
        a[i] = (float)uniform(-1, 1);
        b[i] = (float)uniform(-1, 1);
    }
    for (int shape = 0; shape < 200 && !status; shape++) {
        int m = 1 + shape % SIDE;
        int n = 1 + shape / SIDE % SIDE;
        int depth = 1 + shape * 7 % SIDE;
        int add = shape / 4 % 2;
        ptrdiff_t ldc = n + shape % 3;
        int shift = shape % 8;
        bml_nn__mat A = {a + shift, 1, m + 2};
        bml_nn__mat B = {b + shift / 2, 1, depth + 1};
        if (shape % 2) A = {a + shift, depth + 3, 1};
        if (shape / 2 % 2) B = {b + shift / 2, n + 1, 1};
        for (int i = 0; i < ROOM; i++) {
            before[i] = add ? (float)uniform(-1, 1) : (float)NAN;
            c[i] = before[i];
        }
        bml_cuda__multiply(trainer, c, ldc, A, B, m, n, depth, add);
        status = bml_cuda__library_status(cuda, trainer->library.failed);
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                double sum = add ? (double)before[i * ldc + j] : 0;
                double size = fabs(sum);
                for (int k = 0; k < depth; k++) {
                    double term = (double)A.p[i * A.rs + k * A.cs] * (double)B.p[k * B.rs + j * B.cs];
                    sum += term;
                    size += fabs(term);
                }
                double e = fabs((double)c[i * ldc + j] - sum) / (size * (depth + 2) * (double)FLT_EPSILON);
                if (!(e <= worst)) worst = e;
                c[i * ldc + j] = before[i * ldc + j];
            }
        }
        outside &= !memcmp(c, before, sizeof c);
    }
    products = cublaslt_host.products - products;
    CHECK(!status && worst <= 1 && outside && products == 200,
          "200 products by cuBLASLt, %ld: %.2g of the rounding allowed, nothing beside them", products, worst);
    bml_nn__mat neither = {a, 3, 2};
    bml_cuda__laid laid;
    CHECK(!bml_cuda__as_columns(&laid, neither, 2, 2), "a matrix of which neither rows nor columns lie together");
    bml_nn__mat narrow = {a, 2, 1};
    CHECK(!bml_cuda__as_columns(&laid, narrow, 2, 3), "rows that overlap");
    bml_cuda_trainer_free(trainer);
    library_from = 1e300;
}

/* Small products stay with the own kernel; a step after the first asks for nothing; a graph replays the library's. */
static void test_library_steps(void) {
    bml_cuda_trainer *trainer = NULL;
    int status = small_trainer(&trainer);
    long products = cublaslt_host.products;
    if (!status) status = small_step(trainer);
    CHECK(!status && cublaslt_host.products == products, "small products are the own kernel's");
    library_from = 0;
    if (!status) status = small_step(trainer);
    long asked = cublaslt_host.asked;
    long mallocs = cuda_host.mallocs;
    products = cublaslt_host.products;
    if (!status) status = small_step(trainer);
    CHECK(!status && cublaslt_host.products - products == 5, "five products a step: %ld",
          cublaslt_host.products - products);
    CHECK(cublaslt_host.asked == asked && cuda_host.mallocs == mallocs, "whose algorithms and memory are kept");
    bml_cuda_trainer_free(trainer);
    test_training_graph();
    library_from = 1e300;
}

static void test_library_failures(void) {
    static const char *const calls[] = {"cublasLtMatmulDescInit", "cublasLtMatrixLayoutInit",
                                        "cublasLtMatmulPreferenceSetAttribute", "cublasLtMatmulAlgoGetHeuristic",
                                        "cublasLtMatmul"};
    bml_cuda_trainer *trainer = NULL;
    library_from = 0;
    cublaslt_host.fails = "cublasLtCreate";
    cublaslt_host.with = CUBLAS_STATUS_ALLOC_FAILED;
    CHECK(small_trainer(&trainer) == BML_CUDA_NO_MEMORY && !trainer, "no memory for a handle: %s",
          bml_cuda_message(cuda));
    for (int i = 0; i < 5; i++) {
        if (small_trainer(&trainer)) return;
        cublaslt_host.fails = calls[i];
        cublaslt_host.with = CUBLAS_STATUS_EXECUTION_FAILED;
        int status = small_step(trainer);
        CHECK(status == BML_CUDA_RUNTIME && strstr(bml_cuda_message(cuda), "EXECUTION_FAILED"), "%s fails: %s",
              calls[i], bml_cuda_message(cuda));
        CHECK(!small_step(trainer), "and the next step is made");
        bml_cuda_trainer_free(trainer);
    }
    if (small_trainer(&trainer)) return;
    cublaslt_host.fails = "cublasLtMatmulAlgoGetHeuristic";
    cublaslt_host.with = CUBLAS_STATUS_NOT_SUPPORTED;
    long products = cublaslt_host.products;
    int status = small_step(trainer);
    CHECK(!status && cublaslt_host.products - products == 4, "a product without algorithm is the own kernel's");
    bml_cuda_trainer_free(trainer);
    library_from = 1e300;
}
#endif

static void test_all(void) {
    for (int k = 0; k < NU; k++)
        nu[k] = pow(10, 9 + 18.0 * k / (NU - 1));
    test_net_and_table();
    test_table_at_speed();
    test_half_output();
    test_refusals();
    test_histogram();
    test_published();
    test_grid(BML_SSC_CONVERGED, SOURCES);
    test_grid(BML_SSC_ATHENA, SOURCES);
    test_ssc_statuses();
    test_likelihood();
    test_net_float();
    test_net_16_bits();
    test_net_refusals();
    test_gradients();
#ifdef BML_CUDA_CUBLASLT
    test_library_gradients();
#endif
    test_optimisers();
    test_courses();
    test_trainer_refusals();
    test_photon_graph();
    test_training_graph();
    test_error_of_the_caller();
    test_shared_memory();
}

#ifndef __CUDACC__
int main(int argc, char **argv) {
    unsigned long seed = check_seed(argc, argv);
    bml_sample_rng_init(&rng, seed, 0);
    cuda_host.devices = 1;
    cuda_host.mallocs_left = -1;
    int status = bml_cuda_create(&cuda, 0);
    CHECK(status == BML_CUDA_OK, "device: %s", bml_cuda_name(cuda));
    if (status) return check_done();
    test_all();
#ifdef BML_CUDA_CUBLASLT
    test_library_products();
    test_library_steps();
    test_library_failures();
    CHECK(cublaslt_host.handles == 0, "every handle of the library is given back");
#endif
    test_kept_buffers();
    test_no_device();
    test_no_memory();
    bml_cuda_free(cuda);
    return check_done();
}
#endif
#endif
