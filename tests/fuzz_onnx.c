/* fuzz_onnx.c: bml_onnx_parse against random bytes; what it reads must predict. */
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#define BML_ONNX_IMPLEMENTATION
#include "bml_onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bml_nn *net;
    char why[BML_ONNX_MESSAGE];
    if (bml_onnx_parse(&net, data, size, why)) return 0;
    const size_t n_in = bml_nn_n_in(net);
    const size_t n_out = bml_nn_n_out(net);
    if (n_in < 100000 && n_out < 100000) {
        float *x = calloc(n_in + 1, sizeof *x);
        float *y = calloc(n_out + 1, sizeof *y);
        if (x && y) bml_nn_predict(net, NULL, y, x, 1);
        free(x);
        free(y);
    }
    bml_nn_free(net);
    return 0;
}
