#!/bin/bash
# ways_in.sh: bml as its users come to it, each in a folder of its own: a header copied, pkg-config, CMake (FetchContent,
# find_package), pip in a fresh environment, C++, the installed library and programs. (Fortran: tests/fortran.sh.) A way whose
# tool is not here is skipped, and says so. Prints like a test program: "N passed, N failed, N skipped" last.
passed=0 failed=0 skipped=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
root=$PWD
cc=${CC:-cc}

# check MESSAGE COMMAND...: one check, passed when the command succeeds; what a failing one prints is shown.
check() {
    local message=$1
    shift
    if "$@" >"$scratch/log" 2>&1; then
        echo "ok    $message"
        passed=$((passed + 1))
    else
        echo "FAIL  $message"
        tail -n 20 "$scratch/log"
        failed=$((failed + 1))
        return 1
    fi
}

skip() {
    echo "skip  $1"
    skipped=$((skipped + 1))
}

have() { command -v "$1" >/dev/null; }

# A user's program, of two files, and what it must print: the spectrum of hello_ssc.
user() {
    mkdir -p "$1"
    sed 's/^#define BML_SSC_IMPLEMENTATION//' examples/hello/hello_ssc.c >"$1/main.c"
    printf '#define BML_SSC_IMPLEMENTATION\n#include "bml_ssc.h"\n' >"$1/ssc.c"
}
same() { diff "$scratch/want" <("$@"); }

# -- a header copied
user "$scratch/copy"
cp bml_ssc.h "$scratch/copy"
check "copy: compiles in an empty folder" sh -c "cd $scratch/copy && $cc -std=c99 -O1 main.c ssc.c -o program -lm" || exit 1
"$scratch/copy/program" >"$scratch/want"
check "copy: prints a spectrum" test "$(wc -l <"$scratch/want")" -eq 161

# -- C++, the headers inside a namespace
if have "${CXX:-c++}"; then
    check "C++: hello_cpp.cpp compiles" "${CXX:-c++}" -std=c++17 -O1 -Wall -Wextra -Werror -I. examples/hello/hello_cpp.cpp -o "$scratch/hello_cpp"
    check "C++: the numbers of C" same "$scratch/hello_cpp"
    for header in bml_*.h; do
        name=$(basename "$header" .h)
        printf '%s\n' '#include <float.h>' '#include <limits.h>' '#include <math.h>' '#include <stddef.h>' '#include <stdint.h>' \
            '#include <stdio.h>' '#include <stdlib.h>' '#include <string.h>' '#include <errno.h>' 'namespace bml {' \
            "#define ${name^^}_IMPLEMENTATION" "#include \"$header\"" '}' "int main() { return bml::${name}_strerror(0) == nullptr; }" >"$scratch/inside.cc"
        check "C++: $header inside a namespace" "${CXX:-c++}" -std=c++17 -fsyntax-only -I. "$scratch/inside.cc"
    done
else
    skip "no C++ compiler here"
fi

# -- make install: programs, manual pages, models, headers, library; then pkg-config
prefix=$scratch/usr
check "make install" ${MAKE:-make} --no-print-directory install PREFIX="$prefix" || exit 1
for file in bin/fit_sed share/man/man1/fit_sed.1 share/bml/ssc.safetensors share/bml/ebl_dominguez2011.csv include/bml_ssc.h lib/libbml.so lib/libbml.a; do
    check "installed: $file" test -s "$prefix/$file"
done
check "installed: no program to learn from" test ! -e "$prefix/bin/hello_ssc"
check "installed: a program finds its tables" sh -c "cd $scratch && echo 16,-1,3,6,-4,2.2 | $prefix/bin/ssc_sed --units nuFnu --redshift 0.1 --delta 20 --ebl dominguez2011"
if have man; then check "a manual page without a warning" sh -c "test -z \"\$(man -l --warnings $prefix/share/man/man1/ssc_sed.1 2>&1 >/dev/null)\""; else skip "no man here"; fi
if have readelf; then
    names=$(nm -D --defined-only "$prefix/lib/libbml.so.0" | awk '$2 != "A" && $3 !~ /^bml_/ {print $3}')
    check "the library shows bml_ names alone: $names" test -z "$names"
    check "its soname" sh -c "readelf -d $prefix/lib/libbml.so.0 | grep -q 'SONAME.*libbml.so.0'"
    calls=$(nm -D --undefined-only "$prefix/lib/libbml.so.0" | awk '{print $2}' | sed 's/@.*//' | grep -xE 'exit|abort|puts|putchar|_exit|printf' | tr '\n' ' ')
    check "the library does not print or exit: $calls" test -z "$calls"
else
    skip "no readelf here"
fi
if have pkg-config; then
    export PKG_CONFIG_PATH=$prefix/share/pkgconfig:$prefix/lib/pkgconfig
    user "$scratch/pkg"
    check "pkg-config bml: the headers" sh -c "cd $scratch/pkg && $cc -std=c99 -O1 \$(pkg-config --cflags bml) main.c ssc.c -o program \$(pkg-config --libs bml)"
    check "pkg-config bml: the numbers of C" same "$scratch/pkg/program"
    check "pkg-config libbml: the library" sh -c "cd $scratch/pkg && $cc -std=c99 -O1 \$(pkg-config --cflags libbml) main.c -o linked \$(pkg-config --libs libbml) -Wl,-rpath,$prefix/lib"
    check "pkg-config libbml: runs" sh -c "test \$($scratch/pkg/linked | wc -l) -eq 161"
    printf '#include <bml_sed.h>\n#include <stdio.h>\nint main(void) {\n    bml_sed_table *t;\n    char why[BML_SED_MESSAGE];\n    int status = bml_sed_read(&t, "nowhere.csv", NULL, why);\n    printf("%%s\\n", why);\n    return status != BML_SED_BAD_FILE;\n}\n' >"$scratch/pkg/sed.c"
    check "pkg-config libbml: tables" sh -c "cd $scratch/pkg && $cc \$(pkg-config --cflags libbml) sed.c -o sed \$(pkg-config --libs libbml) -Wl,-rpath,$prefix/lib && ./sed | grep -q '^nowhere.csv: '"
else
    skip "no pkg-config here"
fi

# -- CMake: FetchContent from a clone, and find_package after an installation
if have cmake; then
    clone=$scratch/clone
    mkdir "$clone"
    cp -r CMakeLists.txt Makefile bml_*.h bml_cuda.cu "$clone"
    if have git; then (cd "$clone" && git init -q && git add . && git -c user.name=t -c user.email=t commit -qm t); fi
    user "$scratch/cmake"
    cat >"$scratch/cmake/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.15)
project(user C)
if(FETCH)
  include(FetchContent)
  FetchContent_Declare(bml GIT_REPOSITORY $clone GIT_TAG HEAD)
  FetchContent_MakeAvailable(bml)
else()
  find_package(bml 0.2 REQUIRED)
endif()
add_executable(program main.c ssc.c)
target_link_libraries(program PRIVATE bml::ssc)
foreach(room nn mcmc sample classify)
  if(NOT TARGET bml::\${room})
    message(FATAL_ERROR "no bml::\${room}")
  endif()
endforeach()
END
    quiet="-DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS_RELEASE=-O1"
    if have git && [ -n "${BML_CHECK_LONG:-}" ]; then
        check "CMake: FetchContent" sh -c "cmake -S $scratch/cmake -B $scratch/fetch -DFETCH=ON $quiet && cmake --build $scratch/fetch"
        check "CMake: FetchContent, the numbers of C" same "$scratch/fetch/program"
    else
        skip "FetchContent: no BML_CHECK_LONG, or no git here"
    fi
    check "CMake: install" sh -c "cmake -S $clone -B $scratch/build -DCMAKE_INSTALL_PREFIX=$scratch/opt && cmake --install $scratch/build"
    check "CMake: find_package" sh -c "cmake -S $scratch/cmake -B $scratch/find -DCMAKE_PREFIX_PATH=$scratch/opt $quiet && cmake --build $scratch/find"
    check "CMake: find_package, the numbers of C" same "$scratch/find/program"
    check "CMake: ctest knows the Makefile's tests" sh -c "cd $scratch/build && ctest -N | grep -q make_test"
else
    skip "no cmake here"
fi

# -- pip, in a fresh environment that sees the system's numpy (half a minute of compiling: in make check-long; the package
# itself is tests/python.sh's)
python=
[ -z "${BML_CHECK_LONG:-}" ] || for p in python3 /usr/bin/python3; do $p -c 'import numpy, venv, ensurepip' 2>/dev/null && python=$p; done
if [ -n "$python" ]; then
    check "pip: a fresh environment" $python -m venv --system-site-packages "$scratch/venv"
    check "pip install ./examples/python" env BML_CFLAGS=-O0 "$scratch/venv/bin/pip" install -q --no-index --disable-pip-version-check ./examples/python
    check "pip: leaves the checkout as it was" test ! -e examples/python/build -a ! -e examples/python/bml/libbml.so.0
    cat >"$scratch/user.py" <<'END'
import numpy as np, bml
nu = 10 ** (10 + 0.1 * np.arange(161))
blob = bml.ssc.solve(R=1e16, B=0.1, gamma_min=1e3, gamma_max=1e6, L_e=1e42, p=2.2)
for x, y in zip(nu, blob.sed(nu, redshift=0.1, delta=20)):
    print("%.1f %.4e" % (np.log10(x), y))
assert bml.surrogate.load().sed([16, -1, 3, 6, -4, 2.2], [1e17], 0.1, 20)[0] > 0
assert bml.ssc.Ebl("saldana2021").depth(0.5, 1e26) > 0
END
    check "pip: the numbers of C" sh -c "cd $scratch && venv/bin/python user.py >py && awk '{print \$1, substr(\$2, 1, 5) substr(\$2, 7)}' py >py5 &&
        awk '{print \$1, substr(\$2, 1, 5) substr(\$2, 7)}' want | diff - py5"
else
    skip "pip: no BML_CHECK_LONG, or no python3 with numpy and venv here (Debian: python3-numpy python3-venv)"
fi
cd "$root" || exit 1
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
