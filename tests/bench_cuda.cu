/* bench_cuda.cu: what bml_cuda.cu does a second on the card at hand. Each line is "name value unit"; times by events
   on the stream, after a warm-up, medians of nine. Beside each stands the share of a ceiling that would bind an ideal
   kernel: what its special-function units, its multiply-adds or its memory allow, from the card's own numbers.

       nvcc -O3 -std=c++17 -arch=native -I. -o build/bench_cuda tests/bench_cuda.cu && build/bench_cuda

   The baseline is a stand-in, written here, for the layout of the published Compton kernel (Charles & Chen 2024):
   WMMA 16 x 16 x 16, a tile of 128 samples a block, accumulators stored to shared memory between layers, tanhf, u
   given in half precision, no generator and no energy transform. Its weights do not matter for its speed: random
   ones. */
#define BML_CUDA_IMPLEMENTATION
#include "bml_cuda.cu"
#include <algorithm>
#include <functional>
#include <vector>
#include <mma.h>
#include <cuda_fp16.h>

enum { REPEATS = 9 };
static bml_cuda *cuda;
static double clock_hz, lanes, special_units = 16,
                               bytes_per_second; /* of all, of a multiprocessor ..., of the memory */

static void stop_on(int status, const char *what) {
    if (!status) return;
    fprintf(stderr, "%s: %s %s\n", what, bml_cuda_strerror(status), bml_cuda_message(cuda));
    exit(1);
}

/* Median seconds of one call. */
static double seconds(const std::function<int()> &call) {
    cudaEvent_t start;
    float ms[REPEATS];
    cudaEventCreate(&start);
    cudaEvent_t end;
    cudaEventCreate(&end);
    stop_on(call(), "warm-up");
    stop_on(call(), "warm-up");
    for (int i = 0; i < REPEATS; i++) {
        cudaEventRecord(start);
        stop_on(call(), "call");
        cudaEventRecord(end);
        stop_on(cudaEventSynchronize(end) != cudaSuccess ? BML_CUDA_RUNTIME : 0, "kernel");
        cudaEventElapsedTime(&ms[i], start, end);
    }
    cudaEventDestroy(start);
    cudaEventDestroy(end);
    std::sort(ms, ms + REPEATS);
    return 1e-3 * (double)ms[REPEATS / 2];
}

/* name, things a second, and their share of a ceiling (0: none is known). */
static void report(const char *name, double count, double time, double ceiling, const char *unit) {
    printf("%s %.4g %s\n", name, count / time, unit);
    if (ceiling > 0) printf("%s_share %.3f of %.3g\n", name, count / time / ceiling, ceiling);
    fflush(stdout);
}

template <typename T> static T *device(size_t n, const T *from) {
    void *p = NULL;
    stop_on(bml_cuda_alloc(&p, n * sizeof(T), cuda), "memory");
    bml_cuda_copy copy = {p, from, n * sizeof(T)};
    if (from) {
        stop_on(bml_cuda_put(&copy, NULL, cuda), "copy");
        stop_on(bml_cuda_wait(NULL, cuda), "copy");
    }
    return (T *)p;
}

static void card(void) {
    int khz = 0;
    int memory_khz = 0;
    int width = 0;
    cudaDeviceGetAttribute(&khz, cudaDevAttrClockRate, 0);
    cudaDeviceGetAttribute(&memory_khz, cudaDevAttrMemoryClockRate, 0);
    cudaDeviceGetAttribute(&width, cudaDevAttrGlobalMemoryBusWidth, 0);
    clock_hz = 1e3 * khz * cuda->multiprocessors;
    lanes = cuda->capability == 75 || cuda->capability == 80 ? 64 : 128;
    bytes_per_second = 2e3 * memory_khz * width / 8;
    printf("device %s, %d multiprocessors, %.0f MHz, %.0f GB/s\n", bml_cuda_name(cuda), cuda->multiprocessors,
           1e-3 * khz, 1e-9 * bytes_per_second);
}

/* >> the published layout */

__global__ void baseline_kernel(half *energy, const half *u, const float *gamma, const float *eps0, const half *weights,
                                const float *biases, int n) {
    namespace w = nvcuda::wmma;
    __shared__ half a[128 * 16];
    __shared__ half matrix[4 * 256];
    __shared__ float c[128 * 16];
    __shared__ float bias[64];
    int warp = (int)threadIdx.x / 32;
    int first = (int)blockIdx.x * 128;
    for (int i = (int)threadIdx.x; i < 1024; i += (int)blockDim.x)
        matrix[i] = weights[i];
    if (threadIdx.x < 64) bias[threadIdx.x] = biases[threadIdx.x];
    for (int i = (int)threadIdx.x; i < 128; i += (int)blockDim.x) {
        int at = first + i < n ? first + i : n - 1;
        for (int k = 3; k < 16; k++)
            a[16 * i + k] = __float2half(0);
        a[16 * i] = u[at];
        a[16 * i + 1] = __float2half(log10f(gamma[at]));
        a[16 * i + 2] = __float2half(log10f(eps0[at]));
    }
    __syncthreads();
    for (int layer = 0; layer < 4; layer++) {
        w::fragment<w::accumulator, 16, 16, 16, float> sum;
        w::fill_fragment(sum, 0.0f);
        w::fragment<w::matrix_a, 16, 16, 16, half, w::row_major> x;
        w::load_matrix_sync(x, a + 256 * warp, 16);
        w::fragment<w::matrix_b, 16, 16, 16, half, w::col_major> m;
        w::load_matrix_sync(m, matrix + 256 * layer, 16);
        w::mma_sync(sum, x, m, sum);
        w::store_matrix_sync(c + 256 * warp, sum, 16, w::mem_row_major);
        __syncthreads();
        for (int i = (int)threadIdx.x; i < 2048 && layer < 3; i += (int)blockDim.x)
            a[i] = __float2half(tanhf(c[i] + bias[16 * layer + i % 16]));
        __syncthreads();
    }
    for (int i = (int)threadIdx.x; i < 128; i += (int)blockDim.x)
        if (first + i < n) energy[first + i] = __float2half(fminf(fmaxf(c[16 * i] + bias[48], -1.0f), 1.0f));
}

static double baseline(int n, const float *gamma, const float *eps0) {
    half weights[1024], *d_weights, *u = device<half>((size_t)n, NULL), *out = device<half>((size_t)n, NULL);
    float biases[64], *d_biases;
    double time;
    for (int i = 0; i < 1024; i++)
        weights[i] = __float2half(sinf((float)i));
    for (int i = 0; i < 64; i++)
        biases[i] = cosf((float)i);
    d_weights = device(1024, weights), d_biases = device(64, biases);
    cudaMemset(u, 0x33, (size_t)n * sizeof(half));
    time = seconds([&] {
        baseline_kernel<<<(n + 127) / 128, 256>>>(out, u, gamma, eps0, d_weights, d_biases, n);
        return cudaGetLastError() == cudaSuccess ? 0 : BML_CUDA_RUNTIME;
    });
    bml_cuda_release(u, cuda), bml_cuda_release(out, cuda), bml_cuda_release(d_weights, cuda),
        bml_cuda_release(d_biases, cuda);
    return time;
}

static void bench_compton(void) {
    enum { N = 1 << 26 };
    static const char *const names[] = {"net", "table", "published"};
    std::vector<float> g(N);
    std::vector<float> e(N);
    std::vector<float> w(BML_CUDA_PUBLISHED_WEIGHTS);
    bml_sample_rng rng;
    float *energy = device<float>(N, NULL);
    unsigned long long *counts = device<unsigned long long>(402, NULL);
    double best = 0;
    char name[96];
    bml_sample_rng_init(&rng, 1, 0);
    for (float &x : w)
        x = (float)(bml_sample_rng_uniform(&rng) - 0.5);
    for (int i = 0; i < N; i++)
        g[(size_t)i] = (float)pow(10, 1 + 7 * bml_sample_rng_uniform(&rng));
    for (int i = 0; i < N; i++)
        e[(size_t)i] = (float)pow(10, -12 + 11 * bml_sample_rng_uniform(&rng));
    float *gamma = device(N, g.data());
    float *eps0 = device(N, e.data());
    double base = N / baseline(N, gamma, eps0);
    report("compton_baseline_wmma", base, 1, 0, "samples/s, without generator and energy transform");
    for (int method = 0; method < BML_CUDA_N_METHODS; method++) {
        bml_cuda_compton_config config = {method, w.data()};
        bml_cuda_compton *sampler;
        double ceiling = method == BML_CUDA_PUBLISHED ? clock_hz * special_units / 48 : 0;
        stop_on(bml_cuda_compton_create(&sampler, &config, cuda), "sampler");
        for (int one = 0; one < 2; one++)
            for (int half_out = 0; half_out < 2; half_out++) {
                bml_cuda_photons p = {};
                double memory = bytes_per_second / ((one ? 0 : 8) + (half_out ? 2 : 4));
                p.n = N;
                p.same_gamma = 1e4f;
                p.same_eps0 = 1e-6f;
                p.half = half_out;
                if (!one) {
                    p.gamma = gamma;
                    p.eps0 = eps0;
                }
                double time = seconds([&] { return bml_cuda_compton_sample(energy, &p, NULL, sampler); });
                snprintf(name, sizeof name, "compton_%s_%s_%s", names[method], one ? "one_pair" : "arrays",
                         half_out ? "half" : "float");
                report(name, N, time, ceiling > 0 ? fmin(ceiling, memory) : memory, "samples/s");
                printf("%s_over_baseline %.2f ratio\n", name, N / time / base);
                best = fmax(best, N / time);
            }
        bml_cuda_photons p = {};
        bml_cuda_bins bins = {(uint64_t *)counts, 400, 1e-6, 1e4};
        p.n = (uint64_t)N * 64;
        p.same_gamma = 1e4f;
        p.same_eps0 = 1e-6f;
        snprintf(name, sizeof name, "compton_%s_histogram", names[method]);
        report(name, (double)p.n, seconds([&] { return bml_cuda_compton_histogram(&bins, &p, NULL, sampler); }),
               ceiling, "photons/s");
        bml_cuda_compton_free(sampler);
    }
    printf("compton_best_over_baseline %.2f ratio\n", best / base);
    bml_cuda_release(gamma, cuda);
    bml_cuda_release(eps0, cuda);
    bml_cuda_release(energy, cuda);
    bml_cuda_release(counts, cuda);
}

/* >> networks: the published GRU (7 layers of 184 on six steps), and a dense net */

static unsigned char *make_model(size_t *size, int gru, double *flop) {
    bml_nn_layer l[9];
    bml_nn_config config = {l, gru ? 9 : 6, 1};
    memset(l, 0, sizeof l);
    l[0].kind = BML_NN_INPUT;
    l[0].features = gru ? 1 : 6;
    l[0].steps = gru ? 6 : 0;
    for (int i = 1; i < config.n_layers; i++) {
        int last = i == config.n_layers - 1;
        l[i].kind = gru && !last ? BML_NN_GRU : BML_NN_DENSE;
        l[i].units = last ? 500 : gru ? 184 : 256;
        l[i].sequence = gru && i < 7;
        l[i].activation = last ? gru ? BML_NN_SOFTPLUS : BML_NN_LINEAR : gru ? 0 : BML_NN_RELU;
    }
    *flop = gru ? 2.0 * (6 * 552.0 * (1 + 6 * 184) + 5 * 552.0 * 7 * 184 + 184 * 500.0)
                : 2.0 * (6 * 256 + 3 * 256 * 256 + 256 * 500);
    unsigned char *bytes;
    bml_nn *net;
    if (bml_nn_create(&net, &config, NULL) || bml_nn_encode(net, &bytes, size, BML_NN_F32)) exit(1);
    bml_nn_free(net);
    return bytes;
}

static bml_cuda_net *make_net(int gru, int precision, double *flop) {
    bml_cuda_net_config how = {precision, 0};
    bml_cuda_bytes model;
    unsigned char *bytes = make_model(&model.size, gru, flop);
    model.bytes = bytes;
    bml_cuda_net *out;
    stop_on(bml_cuda_net_decode(&out, &model, &how, cuda), "net");
    bml_nn_free_bytes(bytes);
    return out;
}

static void bench_nets(void) {
    static const char *const precisions[] = {"f16", "bf16", "f32", "tf32"};
    for (int gru = 0; gru < 2; gru++)
        for (int precision = 0; precision < BML_CUDA_N_PRECISIONS; precision++)
            for (size_t n = gru ? 8192 : 131072;; n = 48) {
                char name[96];
                if ((precision == BML_CUDA_BF16 || precision == BML_CUDA_TF32) && cuda->capability < 80) break;
                double flop;
                bml_cuda_net *net = make_net(gru, precision, &flop);
                float *x = device<float>(n * 6, NULL);
                float *y = device<float>(n * 500, NULL);
                cudaMemset(x, 0, n * 6 * sizeof(float));
                double time = seconds([&] { return bml_cuda_net_predict(y, x, n, NULL, net); });
                snprintf(name, sizeof name, "%s_%s_batch_%zu", gru ? "gru" : "mlp", precisions[precision], n);
                report(name, (double)n, time, precision == BML_CUDA_F32 ? 2 * lanes * clock_hz / flop : 0, "spectra/s");
                printf("%s_flops %.4g TFLOP/s\n", name, 1e-12 * flop * (double)n / time);
                bml_cuda_release(x, cuda);
                bml_cuda_release(y, cuda);
                bml_cuda_net_free(net);
                if (n == 48) break;
            }
}

/* Epochs of 8,000 rows that lie on the card, with rows through an index, in batches of 32 (as published) and 1,024. */
static void bench_training(void) {
    enum { ROWS = 8000 };
    std::vector<float> x(ROWS * 6);
    std::vector<float> y(ROWS * 500);
    std::vector<uint32_t> order(ROWS);
    for (size_t i = 0; i < x.size(); i++)
        x[i] = sinf((float)i);
    for (size_t i = 0; i < y.size(); i++)
        y[i] = 1 + cosf((float)i);
    for (uint32_t i = 0; i < ROWS; i++)
        order[i] = i * 7919 % ROWS;
    float *d_x = device(x.size(), x.data());
    float *d_y = device(y.size(), y.data());
    uint32_t *d_order = device(order.size(), order.data());
    for (int gru = 0; gru < 2; gru++)
        for (int tf32 = 0; tf32 < 2; tf32++)
            for (int batch = 32; batch <= 1024; batch *= 32) {
                bml_nn_training how = {};
                bml_cuda_training t = {{NULL, 0}, &how, tf32};
                double flop;
                char name[64];
                if (tf32 && cuda->capability < 80) continue;
                unsigned char *bytes = make_model(&t.model.size, gru, &flop);
                t.model.bytes = bytes;
                how.batch = batch;
                how.learning_rate = 1.7e-4;
                how.loss = BML_NN_MSLE;
                bml_cuda_trainer *trainer;
                stop_on(bml_cuda_trainer_create(&trainer, &t, cuda), "trainer");
                double time = seconds([&] {
                    int status = 0;
                    for (int at = 0; at < ROWS && !status; at += batch) {
                        int n = ROWS - at < batch ? ROWS - at : batch;
                        bml_cuda_batch rows = {d_x, d_y, NULL, d_order + at, n, 0};
                        status = bml_cuda_trainer_step(&rows, NULL, trainer);
                    }
                    return status;
                });
                bml_cuda_progress now;
                stop_on(bml_cuda_trainer_progress(&now, NULL, trainer), "training");
                snprintf(name, sizeof name, "train_%s_%s_batch_%d", gru ? "gru" : "mlp", tf32 ? "tf32" : "f32", batch);
                report(name, 1, time, 0, "epochs/s of 8,000 rows");
                printf("%s_batch %.4g ms\n%s_flops %.4g TFLOP/s\n%s_loss %.4g mean\n", name, 1e3 * time * batch / ROWS,
                       name, 3e-12 * flop * ROWS / time, name, now.loss);
                bml_cuda_trainer_free(trainer);
                bml_nn_free_bytes(bytes);
            }
    bml_cuda_release(d_x, cuda);
    bml_cuda_release(d_y, cuda);
    bml_cuda_release(d_order, cuda);
}

/* >> spectra and likelihoods */

static void bench_ssc(void) {
    enum { N = 4096, NU = 31 };
    std::vector<bml_cuda_source> s(N);
    double nu[NU];
    bml_cuda_point points[NU];
    bml_sample_rng rng;
    bml_cuda_spectra job = {};
    bml_cuda_likelihoods l = {};
    bml_sample_rng_init(&rng, 2, 0);
    for (bml_cuda_source &x : s) {
        memset(&x, 0, sizeof x);
        x.R = pow(10, 15 + 2 * bml_sample_rng_uniform(&rng));
        x.B = pow(10, -2 + 2 * bml_sample_rng_uniform(&rng));
        x.gamma_min = pow(10, 1 + 2 * bml_sample_rng_uniform(&rng));
        x.gamma_max = pow(10, 5 + 2 * bml_sample_rng_uniform(&rng));
        x.compactness = pow(10, -6 + 3 * bml_sample_rng_uniform(&rng));
        x.p = 1.5 + bml_sample_rng_uniform(&rng);
        x.redshift = 0.1;
        x.delta = 20;
        x.distance = 1.4e27;
    }
    for (int i = 0; i < NU; i++) {
        nu[i] = pow(10, 10 + 0.5 * i);
        points[i] = {nu[i], 1e-12, 0.1, 0.1, i % 5 == 0};
    }
    bml_cuda_source *d_s = device(N, s.data());
    job.sources = d_s;
    job.nu = device(NU, nu);
    job.out = device<double>(N * NU, NULL);
    job.status = device<int>(N, NULL);
    job.n = N;
    job.n_nu = NU;
    for (int grid = 0; grid < 2; grid++)
        for (int single = 0; single < 2; single++) {
            bml_cuda_ssc_config config = {};
            char name[64];
            config.grid = grid;
            config.single = single;
            config.gamma_max = 1e7;
            config.B_min = 1e-2;
            bml_cuda_ssc *solver;
            stop_on(bml_cuda_ssc_create(&solver, &config, cuda), "solver");
            snprintf(name, sizeof name, "ssc_%s_%s", grid ? "athena" : "converged", single ? "float" : "double");
            report(name, N, seconds([&] { return bml_cuda_ssc_solve(&job, NULL, solver); }), 0, "spectra/s");
            bml_cuda_ssc_free(solver);
        }
    l.ln_l = device<double>(N, NULL);
    l.model = job.out;
    l.points = device(NU, points);
    l.n = N;
    l.n_points = NU;
    report("likelihood_31_points", N, seconds([&] { return bml_cuda_log_likelihood(&l, NULL, cuda); }), 0, "rows/s");
}

int main(void) {
    stop_on(bml_cuda_create(&cuda, 0), "device");
    card();
    bench_compton();
    bench_nets();
    bench_training();
    bench_ssc();
    bml_cuda_free(cuda);
    return 0;
}
