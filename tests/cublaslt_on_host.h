/* cublaslt_on_host.h: enough of cuBLASLt for bml_cuda.cu, on the CPU, after tests/cuda_on_host.h. It multiplies as the
   library's manual says, and refuses what the library would: leading dimensions below a column's length, shapes that do
   not fit, an algorithm that was found for other shapes, addresses less aligned than was promised, no workspace. Set
   cublaslt_host.fails to make the call of that name fail once. */
#ifndef CUBLASLT_ON_HOST_H
#define CUBLASLT_ON_HOST_H

typedef enum {
    CUBLAS_STATUS_SUCCESS = 0,
    CUBLAS_STATUS_ALLOC_FAILED = 3,
    CUBLAS_STATUS_INVALID_VALUE = 7,
    CUBLAS_STATUS_EXECUTION_FAILED = 13,
    CUBLAS_STATUS_NOT_SUPPORTED = 15
} cublasStatus_t;
typedef enum { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 } cublasOperation_t;
typedef enum { CUBLAS_COMPUTE_32F = 68, CUBLAS_COMPUTE_32F_FAST_TF32 = 77 } cublasComputeType_t;
typedef enum { CUDA_R_32F = 0 } cudaDataType;
typedef enum { CUBLASLT_MATMUL_DESC_TRANSA = 3, CUBLASLT_MATMUL_DESC_TRANSB = 4 } cublasLtMatmulDescAttributes_t;
typedef enum {
    CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = 1,
    CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK = 3,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES = 5,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES = 6,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES = 7,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES = 8
} cublasLtMatmulPreferenceAttributes_t;
enum {
    CUBLASLT_REDUCTION_SCHEME_INPLACE = 1,
    CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE = 2,
    CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE = 4
};
enum { CUBLASLT_HOST_WORKSPACE = 4096 }; /* what its algorithms want, in bytes */

struct cublasLtContext {
    int open;
};
typedef cublasLtContext *cublasLtHandle_t;
struct cublasLtMatmulDescOpaque_t {
    int how;
    int turned[2];
};
struct cublasLtMatrixLayoutOpaque_t {
    uint64_t rows;
    uint64_t cols;
    int64_t ld;
};
struct cublasLtMatmulPreferenceOpaque_t {
    uint64_t workspace;
    uint32_t sums;
    uint32_t aligned[4];
};
struct cublasLtMatmulAlgo_t {
    cublasLtMatmulDescOpaque_t product;
    cublasLtMatrixLayoutOpaque_t of[4];
    uint32_t aligned[4];
};
struct cublasLtMatmulHeuristicResult_t {
    cublasLtMatmulAlgo_t algo;
    size_t workspaceSize;
    cublasStatus_t state;
};

static struct cublaslt_host_state {
    const char *fails; /* the call that fails next, with: */
    cublasStatus_t with;
    int handles;
    long asked;
    long products;
} cublaslt_host = {};

static cublasStatus_t cublaslt_host_answer(const char *call) {
    if (!cublaslt_host.fails || strcmp(cublaslt_host.fails, call)) return CUBLAS_STATUS_SUCCESS;
    cublaslt_host.fails = NULL;
    return cublaslt_host.with;
}

static inline const char *cublasLtGetStatusString(cublasStatus_t status) {
    switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_ALLOC_FAILED: return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
    default: return "CUBLAS_STATUS_NOT_SUPPORTED";
    }
}

static inline cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
    cublasStatus_t status = cublaslt_host_answer("cublasLtCreate");
    if (status) return status;
    *handle = new cublasLtContext{1};
    cublaslt_host.handles++;
    return CUBLAS_STATUS_SUCCESS;
}
static inline cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    delete handle;
    cublaslt_host.handles--;
    return CUBLAS_STATUS_SUCCESS;
}

static inline cublasStatus_t cublasLtMatmulDescInit(cublasLtMatmulDescOpaque_t *d, cublasComputeType_t how,
                                                    cudaDataType) {
    memset(d, 0, sizeof *d);
    d->how = how;
    return cublaslt_host_answer("cublasLtMatmulDescInit");
}
static inline cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDescOpaque_t *d,
                                                            cublasLtMatmulDescAttributes_t which, const void *value,
                                                            size_t size) {
    cublasOperation_t turned;
    if (size != sizeof turned) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(&turned, value, sizeof turned);
    d->turned[which == CUBLASLT_MATMUL_DESC_TRANSB] = turned;
    return CUBLAS_STATUS_SUCCESS;
}
static inline cublasStatus_t cublasLtMatrixLayoutInit(cublasLtMatrixLayoutOpaque_t *layout, cudaDataType, uint64_t rows,
                                                      uint64_t cols, int64_t ld) {
    *layout = {rows, cols, ld};
    return cublaslt_host_answer("cublasLtMatrixLayoutInit");
}
static inline cublasStatus_t cublasLtMatmulPreferenceInit(cublasLtMatmulPreferenceOpaque_t *wish) {
    *wish = {0, 7, {256, 256, 256, 256}};
    return CUBLAS_STATUS_SUCCESS;
}
static inline cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreferenceOpaque_t *wish,
                                                                  cublasLtMatmulPreferenceAttributes_t which,
                                                                  const void *value, size_t size) {
    int workspace = which == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
    if (size != (workspace ? sizeof wish->workspace : sizeof wish->sums)) return CUBLAS_STATUS_INVALID_VALUE;
    if (workspace) {
        memcpy(&wish->workspace, value, size);
    } else if (which == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK) {
        memcpy(&wish->sums, value, size);
    } else {
        memcpy(&wish->aligned[which - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value, size);
    }
    return cublaslt_host_answer("cublasLtMatmulPreferenceSetAttribute");
}

/* Do op(A) op(B) and C fit? */
static inline int cublaslt_host_fits(const cublasLtMatmulDescOpaque_t *d, const cublasLtMatrixLayoutOpaque_t *of) {
    uint64_t m = d->turned[0] ? of[0].cols : of[0].rows;
    uint64_t depth = d->turned[0] ? of[0].rows : of[0].cols;
    uint64_t depth_b = d->turned[1] ? of[1].cols : of[1].rows;
    uint64_t n = d->turned[1] ? of[1].rows : of[1].cols;
    int good = depth == depth_b && depth > 0;
    for (int i = 0; i < 4; i++)
        good &= of[i].ld >= (int64_t)of[i].rows;
    for (int i = 2; i < 4; i++)
        good &= of[i].rows == m && of[i].cols == n;
    return good;
}

static inline cublasStatus_t
cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDescOpaque_t *d, cublasLtMatrixLayoutOpaque_t *a,
                               cublasLtMatrixLayoutOpaque_t *b, cublasLtMatrixLayoutOpaque_t *c,
                               cublasLtMatrixLayoutOpaque_t *out, cublasLtMatmulPreferenceOpaque_t *wish, int wanted,
                               cublasLtMatmulHeuristicResult_t *found, int *n_found) {
    cublasLtMatmulAlgo_t algo;
    cublasStatus_t status = cublaslt_host_answer("cublasLtMatmulAlgoGetHeuristic");
    *n_found = 0;
    cublaslt_host.asked++;
    if (status) return status;
    memset(&algo, 0, sizeof algo);
    algo.product = *d;
    algo.of[0] = *a;
    algo.of[1] = *b;
    algo.of[2] = *c;
    algo.of[3] = *out;
    memcpy(algo.aligned, wish->aligned, sizeof algo.aligned);
    if (!handle || !handle->open || wanted < 1 || !cublaslt_host_fits(d, algo.of)) return CUBLAS_STATUS_INVALID_VALUE;
    if (wish->workspace < CUBLASLT_HOST_WORKSPACE) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (wish->sums & CUBLASLT_REDUCTION_SCHEME_INPLACE) return CUBLAS_STATUS_INVALID_VALUE; /* runs would differ */
    found->algo = algo;
    found->workspaceSize = CUBLASLT_HOST_WORKSPACE;
    found->state = CUBLAS_STATUS_SUCCESS;
    *n_found = 1;
    return CUBLAS_STATUS_SUCCESS;
}

static inline float cublaslt_host_rounded(float x, int how) {
    uint32_t bits;
    if (how != CUBLAS_COMPUTE_32F_FAST_TF32) return x;
    memcpy(&bits, &x, 4);
    if ((bits & 0x7F800000u) != 0x7F800000u) bits = (bits + 0x1000u) & 0xFFFFE000u;
    memcpy(&x, &bits, 4);
    return x;
}

static inline cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDescOpaque_t *product,
                                            const float *alpha, const float *a, cublasLtMatrixLayoutOpaque_t *la,
                                            const float *b, cublasLtMatrixLayoutOpaque_t *lb, const float *beta,
                                            const float *c, cublasLtMatrixLayoutOpaque_t *lc, float *out,
                                            cublasLtMatrixLayoutOpaque_t *lout, const cublasLtMatmulAlgo_t *algo,
                                            void *workspace, size_t bytes, cudaStream_t) {
    const cublasLtMatmulDescOpaque_t d = *product;
    const cublasLtMatrixLayoutOpaque_t of[4] = {*la, *lb, *lc, *lout};
    const void *address[4] = {a, b, c, out};
    cublasStatus_t status = cublaslt_host_answer("cublasLtMatmul");
    if (status) return status;
    if (!handle || !handle->open || !workspace || bytes < CUBLASLT_HOST_WORKSPACE) return CUBLAS_STATUS_INVALID_VALUE;
    if (memcmp(&algo->product, &d, sizeof d) || memcmp(algo->of, of, sizeof of)) return CUBLAS_STATUS_INVALID_VALUE;
    for (int i = 0; i < 4; i++) {
        if (!address[i] || (uintptr_t)address[i] % algo->aligned[i]) return CUBLAS_STATUS_INVALID_VALUE;
    }
    const float by = *alpha;
    const float kept = *beta;
    cublaslt_host.products++;
    cuda_host_queue([=] {
        memset(workspace, 0xFF, CUBLASLT_HOST_WORKSPACE);
        ptrdiff_t depth = (ptrdiff_t)(d.turned[0] ? of[0].rows : of[0].cols);
        for (ptrdiff_t j = 0; j < (ptrdiff_t)of[3].cols; j++) {
            for (ptrdiff_t i = 0; i < (ptrdiff_t)of[3].rows; i++) {
                float sum = 0;
                for (ptrdiff_t k = 0; k < depth; k++) {
                    float x = a[d.turned[0] ? k + i * of[0].ld : i + k * of[0].ld];
                    float y = b[d.turned[1] ? j + k * of[1].ld : k + j * of[1].ld];
                    sum += cublaslt_host_rounded(x, d.how) * cublaslt_host_rounded(y, d.how);
                }
                out[i + j * of[3].ld] = by * sum + (kept != 0 ? kept * c[i + j * of[2].ld] : 0); /* C may be NaN */
            }
        }
    });
    return CUBLAS_STATUS_SUCCESS;
}
#endif
