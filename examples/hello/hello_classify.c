/* hello_classify.c: a CSV table with a column of labels in, the cross-validated AUC of three models out. Every other column
   is a feature; rows without a label are left out. In a folder with this file and bml_classify.h (and bml_nn.h, for
   networks):
       cc -std=c99 -O2 hello_classify.c -o hello_classify -lm
       ./hello_classify my.csv class */
#include <stdio.h>
#define BML_CLASSIFY_IMPLEMENTATION
#include "bml_classify.h"

int main(int argc, char **argv) {
    char why[BML_CLASSIFY_MESSAGE] = "";
    bml_classify_table *table = NULL;
    bml_classify_data *data = NULL;
    if (argc != 3) {
        fprintf(stderr, "usage: hello_classify TABLE.csv LABEL_COLUMN\n");
        return 1;
    }
    int status = bml_classify_table_read(&table, argv[1], why);
    if (!status) status = bml_classify_data_from_table(&data, table, argv[2], why);
    for (int model = BML_CLASSIFY_LOGISTIC; model <= BML_CLASSIFY_BOOST && !status; model++) {
        bml_classify_config config = {.model = model, .seed = 1};
        bml_classify_scores s;
        status = bml_classify_cross_validate(&s, NULL, &config, data, 5, why);
        if (!status)
            printf("%-9s AUC %.4f +- %.4f, accuracy %.4f, log loss %.4f\n", bml_classify_model_name(model), s.auc,
                   s.auc_error, s.accuracy, s.log_loss);
    }
    if (status) fprintf(stderr, "%s: %s\n", bml_classify_strerror(status), why);
    bml_classify_data_free(data);
    bml_classify_table_free(table);
    return status != 0;
}
