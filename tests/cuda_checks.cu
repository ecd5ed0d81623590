/* cuda_checks.cu: the checks of bml_cuda.cu that need a card. First all that tests/test_cuda.c checks on the CPU, now
   on the device; then what only a device can be asked: sizes of a million, misaligned arrays, several streams,
   histograms of 1e10 photons, a net of published size trained beside the CPU's, all registers and barriers as they are.

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
    std::vector<float> g(n + 1);
    std::vector<float> e(n + 1);
    std::vector<float> cpu(n + 1);
    std::vector<float> back(n + 1);
    bml_sample_photonsf how = {};
    bml_cuda_photons p = {};
    float *device = NULL;
    double worst = 0;
    bml_sample_compton_table(&nodes);
    for (size_t i = 0; i < n; i++) {
        g[i] = (float)pow(10, uniform(1, 8));
        e[i] = (float)pow(10, uniform(-12, 0));
    }
    if (bml_cuda_compton_create(&sampler, &config, cuda)) return HUGE_VAL;
    if (bml_cuda_alloc((void **)&device, (3 * n + 16) * sizeof(float), cuda)) return HUGE_VAL;
    bml_cuda_copy put_g = {device + offset, g.data(), n * sizeof(float)};
    bml_cuda_copy put_e = {device + offset + n, e.data(), n * sizeof(float)};
    bml_cuda_copy get = {back.data(), device + offset + 2 * n, n * sizeof(float)};
    p.n = n;
    p.gamma = device + offset;
    p.eps0 = device + offset + n;
    p.seed = 77;
    p.stream = 1ull << 40;
    how.n = n;
    how.gamma = g.data();
    how.eps0 = e.data();
    how.method = method;
    how.nodes = &nodes;
    bml_sample_rng numbers;
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
            uint64_t counts[BINS + 2];
            uint64_t sum = 0;
            double g = (double)pair[k][0];
            double e = (double)pair[k][1];
            double b = 4 * g * e;
            double top = g * b / (1 + b);
            double worst = 0;
            bml_cuda_bins bins = {counts, BINS, top * 1e-6, top * 1.01};
            bml_cuda_compton_config config = {method, NULL};
            bml_cuda_photons p = {};
            bml_cuda_compton *sampler = NULL;
            p.n = 10000000000ull;
            p.same_gamma = pair[k][0];
            p.same_eps0 = pair[k][1];
            p.seed = 5;
            if (bml_cuda_compton_create(&sampler, &config, cuda)) continue;
            CHECK(!bml_cuda_compton_histogram_host(&bins, &p, sampler), "1e10 photons");
            double cdf;
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

/* n rows through a net of every kind of layer, rows that begin `offset` floats behind an aligned address, against the
   CPU. The 16-bit precisions are only asked to stay within a tenth: their rounding is test_net_16_bits' matter. */
static double net_at(bml_nn *net, int precision, size_t n, size_t offset) {
    std::vector<float> x(n * net->n_in + 1);
    std::vector<float> y(n * net->n_out + 1);
    std::vector<float> back(n * net->n_out + 1);
    float *device = NULL;
    double worst = 0;
    int status;
    for (float &v : x)
        v = (float)uniform(-1, 1);
    bml_cuda_net *on_card = to_device(net, precision, 0, &status);
    if (status || bml_cuda_alloc((void **)&device, (x.size() + y.size() + 8) * sizeof(float), cuda)) return HUGE_VAL;
    bml_cuda_copy put = {device + offset, x.data(), n * net->n_in * sizeof(float)};
    bml_cuda_copy get = {back.data(), device + 2 * offset + x.size(), n * net->n_out * sizeof(float)};
    if (bml_cuda_put(&put, NULL, cuda) ||
        bml_cuda_net_predict(device + 2 * offset + x.size(), device + offset, n, NULL, on_card) ||
        bml_cuda_get(&get, NULL, cuda) || bml_cuda_wait(NULL, cuda) || bml_nn_predict(net, NULL, y.data(), x.data(), n))
        worst = HUGE_VAL;
    for (size_t i = 0; i < n * net->n_out; i++)
        if (!(fabs((double)back[i] - (double)y[i]) <= worst)) worst = fabs((double)back[i] - (double)y[i]);
    bml_cuda_release(device, cuda);
    bml_cuda_net_free(on_card);
    return worst;
}

static void test_net_sizes(void) {
    static const size_t sizes[] = {0, 1, 31, 33, 1000007};
    static const char *const names[] = {"F16", "BF16", "F32", "TF32"};
    bml_nn *net = NULL;
    if (make_small(&net, BML_NN_SOFTMAX)) return;
    for (int precision = 0; precision < BML_CUDA_N_PRECISIONS; precision++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (size_t offset = 0; offset < 4; offset += 3) {
                double allowed = precision == BML_CUDA_F32 ? 2e-5 * rounding : 0.1;
                if (cuda->capability < 80 && (precision == BML_CUDA_BF16 || precision == BML_CUDA_TF32)) continue;
                double d = net_at(net, precision, sizes[i], offset);
                CHECK(d <= allowed, "net, %s, %zu rows, %zu floats off: %.2g from the CPU", names[precision], sizes[i],
                      offset, d);
            }
    bml_nn_free(net);
}

/* Six steps of three layers of 184, as the published surrogate has seven, for 300 rows in batches of 32 by SGD: 36
   links forward and back in float, so that three times the tolerance of test_courses holds. In tf32, its own. */
static void test_wide_training(void) {
    enum { ROWS = 300 };
    std::vector<float> x(ROWS * 6);
    std::vector<float> y(ROWS * 40);
    for (int tf32 = 0; tf32 < 2; tf32++)
        for (int kind = BML_NN_GRU; kind <= BML_NN_LSTM; kind++) {
            bml_nn_layer l[6];
            bml_nn_config config = {l, 6, 2};
            bml_nn_training how = {};
            bml_nn_epoch a = {};
            bml_nn_epoch b = {};
            bml_nn *net = NULL;
            unsigned char *bytes;
            memset(l, 0, sizeof l);
            l[0].kind = BML_NN_INPUT;
            l[0].features = 6;
            l[1].kind = BML_NN_RESHAPE;
            l[1].steps = 6;
            l[1].features = 1;
            for (int i = 2; i < 5; i++) {
                l[i].kind = kind;
                l[i].units = 184;
                l[i].sequence = i < 4;
            }
            l[5].kind = BML_NN_DENSE;
            l[5].units = 40;
            l[5].activation = BML_NN_SOFTPLUS;
            if (bml_nn_create(&net, &config, NULL) || (tf32 && cuda->capability < 80)) continue;
            for (float &v : x)
                v = (float)uniform(-1, 1);
            for (float &v : y)
                v = (float)uniform(0, 1);
            how.x = x.data();
            how.y = y.data();
            how.n = ROWS;
            how.epochs = 2;
            how.learning_rate = 0.05;
            how.optimizer = BML_NN_SGD;
            how.momentum = 0.9;
            how.loss = BML_NN_MSLE;
            how.validation = 0.1;
            bml_cuda_training t = lesson(net, &how, &bytes);
            std::vector<float> w(net->n_params);
            std::vector<float> start(net->params, net->params + net->n_params);
            t.tf32 = tf32;
            int status = bml_cuda_train_host(w.data(), &a, &t, cuda);
            double d = 0;
            double way = 0;
            bml_nn_train(net, &how, &b);
            for (size_t k = 0; k < w.size(); k++) {
                d += pow((double)w[k] - (double)net->params[k], 2);
                way += pow((double)start[k] - (double)net->params[k], 2);
            }
            CHECK(!status && sqrt(d / way) <= (tf32 ? 3e-2 : 1.5e-4 * rounding) &&
                      epochs_agree(&a, &b, tf32 ? 1e-2 : 1e-3),
                  "%s, 184 units, %s: weights %.2g of their way apart, loss %.6g and %.6g",
                  kind == BML_NN_GRU ? "GRU" : "LSTM", tf32 ? "tf32" : "float", sqrt(d / way), a.loss, b.loss);
            bml_nn_free_bytes(bytes);
            bml_nn_free(net);
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
    if (!getenv("BML_CHECK_QUICK")) {
        test_large();
        test_net_sizes();
        test_wide_training();
        test_many();
    }
    bml_cuda_free(cuda);
    return check_done();
}
