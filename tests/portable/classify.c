/* classify.c: a table is parsed, and a logistic regression and a forest are judged, on any machine; see ssc.c. */
#include <stdio.h>
#include <string.h>
#define BML_CLASSIFY_IMPLEMENTATION
#include "bml_classify.h"

int main(void) {
    char text[8000] = "a,b,class\n";
    char why[BML_CLASSIFY_MESSAGE] = "";
    bml_classify_rng rng;
    bml_classify_rng_init(&rng, 2, 0);
    size_t used = strlen(text);
    for (int i = 0; i < 90; i++) {
        double a = bml_classify_rng_normal(&rng) + i % 2;
        double b = bml_classify_rng_normal(&rng) - i % 2;
        int n = snprintf(text + used, sizeof text - used, "%.4f,%.4f,%s\n", a, b, i % 2 ? "yes" : "no");
        used += (size_t)n;
    }
    bml_classify_table *table = NULL;
    bml_classify_data *data = NULL;
    int status = bml_classify_table_parse(&table, text, used, "typed", why);
    if (!status) status = bml_classify_data_from_table(&data, table, "class", why);
    int models[2] = {BML_CLASSIFY_LOGISTIC, BML_CLASSIFY_FOREST};
    for (int k = 0; k < 2 && !status; k++) {
        bml_classify_config config = {0};
        config.model = models[k];
        config.seed = 1;
        bml_classify_scores s;
        status = bml_classify_cross_validate(&s, NULL, &config, data, 3, why);
        if (!status) printf("%s: AUC %.7f log loss %.7f\n", bml_classify_model_name(models[k]), s.auc, s.log_loss);
    }
    if (status) printf("%s: %s\n", bml_classify_strerror(status), why);
    bml_classify_data_free(data);
    bml_classify_table_free(table);
    return status != 0;
}
