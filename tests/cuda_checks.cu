/* cuda_checks.cu: the checks of bml_cuda.cu that need a card. First all that tests/test_cuda.c checks on the CPU, now
   on the device; then what only a device can be asked: sizes of a million, misaligned arrays, several streams,
   histograms of 1e10 photons, all registers and barriers as they are.

       nvcc -O3 -std=c++17 -arch=native -I. -o build/cuda_checks tests/cuda_checks.cu && build/cuda_checks
       compute-sanitizer --tool memcheck build/cuda_checks; compute-sanitizer --tool racecheck build/cuda_checks

   BML_CHECK_QUICK=1 leaves the large ones out, for the sanitizers. Without a card it says so, and fails. */
#include "test_cuda.c"
#include <vector>

/* Energies of n photons as the CPU draws them, from device memory that begins `offset` floats behind an aligned
   address. */
static double against_cpu_stream(int method, size_t n, size_t offset, bml_cuda_stream stream) {
    static bml_sample_compton_nodes nodes;
    bml_cuda_compton_config config = {method, NULL};
    bml_cuda_compton *sampler = NULL;
    std::vector<float> g(n + 1), e(n + 1), cpu(n + 1), back(n + 1);
    bml_sample_photonsf how = {};
    bml_cuda_photons p = {};
    bml_sample_rng numbers;
    float *device = NULL;
    double worst = 0;
    bml_sample_compton_table(&nodes);
    for (size_t i = 0; i < n; i++) g[i] = (float)pow(10, uniform(1, 8)), e[i] = (float)pow(10, uniform(-12, 0));
    if (bml_cuda_compton_create(&sampler, &config, cuda)) return HUGE_VAL;
    if (bml_cuda_alloc((void **)&device, (3 * n + 16) * sizeof(float), cuda)) return HUGE_VAL;
    bml_cuda_copy put_g = {device + offset, g.data(), n * sizeof(float)};
    bml_cuda_copy put_e = {device + offset + n, e.data(), n * sizeof(float)};
    bml_cuda_copy get = {back.data(), device + offset + 2 * n, n * sizeof(float)};
    p.n = n, p.gamma = device + offset, p.eps0 = device + offset + n, p.seed = 77, p.stream = 1ull << 40;
    how.n = n, how.gamma = g.data(), how.eps0 = e.data(), how.method = method, how.nodes = &nodes;
    bml_sample_rng_init(&numbers, p.seed, p.stream);
    if (bml_cuda_put(&put_g, stream, cuda) || bml_cuda_put(&put_e, stream, cuda) ||
        bml_cuda_compton_sample(device + offset + 2 * n, &p, stream, sampler) || bml_cuda_get(&get, stream, cuda) ||
        bml_cuda_wait(stream, cuda) || bml_sample_comptonf(cpu.data(), &how, &numbers))
        worst = HUGE_VAL;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)back[i] - (double)cpu[i]) / (8 * (double)FLT_EPSILON * rounding * (double)cpu[i]);
        if (!(d <= worst)) worst = d;
    }
    bml_cuda_release(device, cuda);
    bml_cuda_compton_free(sampler);
    return worst;
}

static void test_large(void) {
    static const size_t sizes[] = {0, 1, 31, 33, 1000007};
    cudaStream_t stream;
    CHECK(cudaStreamCreate(&stream) == cudaSuccess, "a stream");
    for (int method = BML_CUDA_NET; method <= BML_CUDA_TABLE; method++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (size_t offset = 0; offset < 4; offset += 3) {
                double d = against_cpu_stream(method, sizes[i], offset, offset ? (bml_cuda_stream)stream : NULL);
                CHECK(d <= 1, "%s, %zu photons, %zu floats off: %.2g of the rounding allowed", method ? "table" : "net",
                      sizes[i], offset, d);
            }
    cudaStreamDestroy(stream);
}

/* 1e10 photons of one pair against the exact CDF. A method's CDF is wrong by up to 6e-5 (net) or 1.1e-4 (table), and
   the largest distance of 1e10 draws from their own CDF is below 2.5e-5 (Kolmogorov: 2.5/sqrt(n), probability 7e-6). */
static void test_many(void) {
    static const float pair[3][2] = {{1e4f, 1e-9f}, {1e3f, 1e-3f}, {1e6f, 1e-1f}};
    static const double allowed[2] = {6e-5, 1.1e-4};
    enum { BINS = 400 };
    for (int method = BML_CUDA_NET; method <= BML_CUDA_TABLE; method++)
        for (int k = 0; k < 3; k++) {
            uint64_t counts[BINS + 2], sum = 0;
            double g = (double)pair[k][0], e = (double)pair[k][1], b = 4 * g * e, top = g * b / (1 + b), worst = 0, cdf;
            bml_cuda_bins bins = {counts, BINS, top * 1e-6, top * 1.01};
            bml_cuda_compton_config config = {method, NULL};
            bml_cuda_photons p = {};
            bml_cuda_compton *sampler = NULL;
            p.n = 10000000000ull, p.same_gamma = pair[k][0], p.same_eps0 = pair[k][1], p.seed = 5;
            if (bml_cuda_compton_create(&sampler, &config, cuda)) continue;
            CHECK(!bml_cuda_compton_histogram_host(&bins, &p, sampler), "1e10 photons");
            for (int i = 0; i < BINS + 1; i++) {
                sum += counts[i];
                bml_sample_compton_cdf(&cdf, bins.lower * pow(bins.upper / bins.lower, (double)i / BINS), g, e);
                if (!(fabs((double)sum / 1e10 - cdf) <= worst)) worst = fabs((double)sum / 1e10 - cdf);
            }
            CHECK(sum + counts[BINS + 1] == p.n, "all are counted");
            CHECK_LE(worst, allowed[method] + 2.5e-5, "largest distance from the exact CDF");
            bml_cuda_compton_free(sampler);
        }
}

int main(int argc, char **argv) {
    unsigned long seed = check_seed(argc, argv);
    int status = bml_cuda_create(&cuda, 0);
    bml_sample_rng_init(&rng, seed, 0);
    CHECK(status == BML_CUDA_OK, "device: %s, compute capability %d", bml_cuda_name(cuda),
          status ? 0 : cuda->capability);
    if (status) {
        printf("note  %s: %s\n", bml_cuda_strerror(status), bml_cuda_message(cuda));
        return check_done();
    }
    test_all();
    if (!getenv("BML_CHECK_QUICK")) test_large(), test_many();
    bml_cuda_free(cuda);
    return check_done();
}
