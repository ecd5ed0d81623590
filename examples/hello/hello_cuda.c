/* hello_cuda.c: the three calls that a particle-in-cell code needs to scatter its photons on the card that it runs on.
   In a folder with this file, bml_cuda.cu and the library that `make cuda` makes of it, libbml_cuda.so:
       cc -std=c99 -O2 hello_cuda.c -o hello_cuda -L. -lbml_cuda -Wl,-rpath,. -lm && ./hello_cuda */
#include <stdio.h>
#include "bml_cuda.cu"

int main(void) {
    enum { N = 1 << 20 };
    static float gamma[N];
    static float energy[N]; /* a code that lives on the card has its own arrays there */
    float *on_card = NULL;
    double sum = 0;
    bml_cuda *cuda;
    bml_cuda_compton *sampler = NULL;
    int status = bml_cuda_create(&cuda, 0);                              /* 1: the card */
    if (!status) status = bml_cuda_compton_create(&sampler, NULL, cuda); /* 2: the sampler */
    if (!status) status = bml_cuda_alloc((void **)&on_card, 2 * sizeof gamma, cuda);
    for (int i = 0; i < N; i++)
        gamma[i] = 1e4f;
    if (!status) {
        bml_cuda_photons photons = {
            .n = N,
            .gamma = on_card,
            .same_eps0 = 1e-9f,
            .seed = 1,
        };
        bml_cuda_copy put = {on_card, gamma, sizeof gamma};
        bml_cuda_copy get = {energy, on_card + N, sizeof energy};
        status = bml_cuda_put(&put, NULL, cuda);
        if (!status) status = bml_cuda_compton_sample(on_card + N, &photons, NULL, sampler); /* 3: in every time step */
        if (!status) status = bml_cuda_get(&get, NULL, cuda);
        if (!status) status = bml_cuda_wait(NULL, cuda);
    }
    for (int i = 0; i < N; i++)
        sum += (double)energy[i];
    if (status)
        printf("%s: %s\n", bml_cuda_strerror(status), bml_cuda_message(cuda));
    else
        printf("%s: mean %.4g m_e c^2, 4/3 gamma^2 eps0 is %.4g\n", bml_cuda_name(cuda), sum / N, 4.0 / 3 * 1e8 * 1e-9);
    bml_cuda_release(on_card, cuda);
    bml_cuda_compton_free(sampler);
    bml_cuda_free(cuda);
    return status != 0;
}
