/* Lesson 26: a density with a parameter. A grid of tables, or a network? Error against the numbers that are stored.
   cc -std=c99 -O2 -I. examples/lessons/26_table_or_net.c -o lesson -lm && ./lesson */
#include "lesson.h"
#undef BML_SAMPLE_IMPLEMENTED /* the training is compiled here: it is no part of the library that make builds */
#define BML_NN_IMPLEMENTATION
#include "bml_nn.h"
#define BML_SAMPLE_TRAIN
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

enum { LEVELS = 99 };
static const double lower = 0;
static const double upper = 1;
static const double z_lower = 1;
static const double z_upper = 10;

/* A cut-off power law whose cut-off falls as z grows. */
static void cut_off(double *p, const double *x, const double *z, int n, void *user) {
    (void)user;
    for (int i = 0; i < n; i++)
        p[i] = exp(-z[0] * x[i]) * (1 + x[i]);
}

/* Largest |C(x(u)) - u| of a network, against a table made for each z. */
static double net_error(const bml_sample_net *net) {
    double worst = 0;
    for (double z = z_lower; z <= z_upper; z += 0.25) {
        bml_sample_table *table;
        bml_sample_table_config config = {.density = cut_off, .z = &z, .lower = lower, .upper = upper, .look = 1000};
        must(bml_sample_table_create(&table, &config, WHY));
        for (int k = 1; k <= LEVELS; k++) {
            float u = (float)k / (LEVELS + 1);
            float parameter = (float)z;
            float x;
            bml_sample_net_call call = {.n = 1, .u = &u, .z = &parameter};
            must(bml_sample_net_draw(net, &x, &call, NULL));
            double at = (double)x;
            double cdf;
            must(bml_sample_table_cdf(table, &cdf, NULL, &at, 1));
            worst = fmax(worst, fabs(cdf - (double)u));
        }
        bml_sample_table_free(table);
    }
    return worst;
}

int main(void) {
    picture("26_table_or_net", 1, 1);
    panel("numbers stored", "largest error of the CDF");
    set("logscale xy");
    set("format '10^{%%L}'");
    curve(PATH, "grids of tables");
    for (int nodes = 3; nodes <= 96; nodes *= 2) {
        bml_sample_grid *grid;
        bml_sample_grid_config config = {.density = cut_off, .lower = lower, .upper = upper, .n_z = 1};
        config.z_lower = &z_lower;
        config.z_upper = &z_upper;
        config.z_nodes = &nodes;
        config.u_nodes = 2 * nodes + 1;
        must(bml_sample_grid_create(&grid, &config, WHY));
        double x;
        double z = 3.3;
        double u = 0.5;
        must(bml_sample_grid_draw(grid, &x, &z, &u, 1, NULL));
        printf("%2d x %3d nodes: the median at z = 3.3 is %.5f %s\n", nodes, config.u_nodes, x,
               bml_sample_grid_message(grid));
        point(nodes * config.u_nodes, bml_sample_grid_error(grid));
        bml_sample_grid_free(grid);
    }
    curve(POINTS, "networks");
    for (int width = 4; width <= 16; width *= 2) {
        const int hidden[2] = {width, width};
        bml_sample_training training = {.density = cut_off, .n_dim = 1, .n_z = 1, .lower = &lower, .upper = &upper};
        training.z_lower = &z_lower;
        training.z_upper = &z_upper;
        training.hidden = hidden;
        training.n_hidden = 2;
        training.target = 1e-9;
        training.epochs = 600;
        training.conditions = 64;
        bml_sample_net *net;
        int status = bml_sample_net_train(&net, NULL, &training, WHY);
        if (!net) must(status);
        if (status) printf("%2d units: %s\n", width, WHY); /* short of the target, or not rising: the net is there */
        size_t count; /* of the array that bml_sample_net_write would write, to be pasted into a simulation */
        const float *array = bml_sample_net_array(net, &count);
        bml_sample_net *pasted;
        must(bml_sample_net_create(&pasted, array, count, WHY));
        point((double)count, net_error(pasted));
        printf("%zu numbers, %zu bytes of C, %zu of safetensors\n", count,
               bml_sample_net_write(NULL, 0, net, "weights"), bml_sample_net_safetensors(NULL, 0, net));
        bml_sample_net_free(pasted);
        bml_sample_net_free(net);
    }
    show();
    return 0;
}
