/* hello_classify.c: a CSV table with a column of labels in; out: the cross-validated AUC of three models, and of a stack of
   them with what weight each has. Every other column is a feature; rows without a label are left out.
   In a folder with this file and bml_classify.h (with bml_nn.h beside it, networks too):
       cc -std=c99 -O2 hello_classify.c -o hello_classify -lm
       ./hello_classify my.csv class */
#include <stdio.h>
#define BML_CLASSIFY_IMPLEMENTATION
#include "bml_classify.h"

int main(int argc, char **argv) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    bml_classify_table *table = NULL;
    bml_classify_data *data = NULL;
    bml_classify_model *model = NULL;
    bml_classify_config config[4] = {
        {.model = BML_CLASSIFY_LOGISTIC},
        {.model = BML_CLASSIFY_FOREST},
        {.model = BML_CLASSIFY_BOOST},
        {.model = BML_CLASSIFY_STACK, .calibrate = BML_CLASSIFY_TEMPERATURE},
    };
    config[3].member = config; /* the stack is made of the three */
    config[3].n_members = 3;
    if (argc != 3) return fprintf(stderr, "usage: hello_classify TABLE.csv LABEL_COLUMN\n"), 1;
    int status = bml_classify_table_read(&table, argv[1], why);
    if (!status) status = bml_classify_data_from_table(&data, table, argv[2], why);
    for (int k = 0; k < 4 && !status; k++) {
        bml_classify_scores s;
        status = bml_classify_cross_validate(&s, NULL, &config[k], data, 5, why);
        if (status) break;
        printf("%-9s AUC %.4f +- %.4f", bml_classify_model_name(config[k].model), s.auc, s.auc_error);
        printf(", accuracy %.4f, log loss %.4f\n", s.accuracy, s.log_loss);
    }
    if (!status) status = bml_classify_fit(&model, &config[3], data, NULL, 0, why);
    if (!status) {
        const double *weight = bml_classify_model_weights(model);
        printf("weights in the stack: %.2f %.2f %.2f", weight[0], weight[1], weight[2]);
        printf("; temperature %.2f\n", bml_classify_model_temperature(model));
    }
    if (status) fprintf(stderr, "%s: %s\n", bml_classify_strerror(status), why);
    bml_classify_model_free(model);
    bml_classify_data_free(data);
    bml_classify_table_free(table);
    return status != 0;
}
