/* hello_cpp.cpp: the headers from C++, inside a namespace, with one small class around two objects. The spectrum of one
   source out, as hello_ssc prints it.
       c++ -std=c++17 -O2 -I. examples/hello/hello_cpp.cpp -o hello_cpp        ./hello_cpp > spectrum.txt
   What the headers include stands before the namespace, so that it stays outside. */
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdexcept>
#include <string>
#include <vector>

namespace bml {
#define BML_SSC_IMPLEMENTATION
#include "bml_ssc.h"
} // namespace bml

class Blob { // tables and a blob, freed in the end; what goes wrong is an exception with the header's reason
  public:
    Blob() {
        char why[bml::BML_SSC_MESSAGE];
        if (bml::bml_ssc_create(&tables, nullptr, why) || bml::bml_ssc_blob_create(&blob, tables, why))
            throw std::runtime_error(why);
    }
    Blob(const Blob &) = delete;
    Blob &operator=(const Blob &) = delete;
    ~Blob() {
        bml::bml_ssc_blob_free(blob);
        bml::bml_ssc_free(tables);
    }
    std::vector<double> sed(const bml::bml_ssc_source &source, const bml::bml_ssc_observer &observer,
                            const std::vector<double> &nu) {
        std::vector<double> flux(nu.size());
        int status = bml::bml_ssc_solve(blob, &source);
        if (!status)
            status = bml::bml_ssc_sed(flux.data(), nu.data(), int(nu.size()), blob, &observer, bml::BML_SSC_TOTAL);
        if (status)
            throw std::runtime_error(bml::bml_ssc_strerror(status) + std::string(". ") + bml::bml_ssc_message(blob));
        return flux;
    }

  private:
    bml::bml_ssc *tables = nullptr;
    bml::bml_ssc_blob *blob = nullptr;
};

int main() {
    try {
        bml::bml_ssc_source source = {};
        source.R = 1e16;
        source.B = 0.1;
        source.gamma_min = 1e3;
        source.gamma_max = 1e6;
        source.L_e = 1e42;
        source.p = 2.2;
        bml::bml_ssc_observer observer = {};
        observer.redshift = 0.1;
        observer.delta = 20;
        std::vector<double> nu(161);
        for (size_t i = 0; i < nu.size(); i++)
            nu[i] = pow(10, 10 + 0.1 * double(i));
        const std::vector<double> flux = Blob().sed(source, observer, nu);
        for (size_t i = 0; i < nu.size(); i++)
            printf("%.1f %.4e\n", log10(nu[i]), flux[i]);
    } catch (const std::exception &e) {
        fprintf(stderr, "hello_cpp: %s\n", e.what());
        return 1;
    }
}
