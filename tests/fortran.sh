#!/bin/bash
# fortran.sh: the Fortran modules are what make_bindings.py makes of the headers (with python3), and they and their programs
# compile with gfortran, without a warning: means and spectra come out as from C. Prints like a test program.
passed=0 failed=0 skipped=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# check MESSAGE COMMAND...: one check, passed when the command succeeds; what a failing one prints is shown.
check() {
    local message=$1
    shift
    if "$@" >"$scratch/log" 2>&1; then
        echo "ok    $message"
        passed=$((passed + 1))
    else
        echo "FAIL  $message"
        head -n 20 "$scratch/log"
        failed=$((failed + 1))
    fi
}

skip() {
    echo "skip  $1"
    skipped=$((skipped + 1))
}

if command -v python3 >/dev/null; then
    # of the headers that the bindings were made from: a new one joins them by make bindings
    headers=$(python3 -c 'import sys; sys.path.insert(0, "examples/python/bml"); sys.dont_write_bytecode = True; import _abi; print(*_abi.HEADERS)')
    check "make_bindings.py reads the headers" env CC="${CC:-cc}" python3 examples/python/make_bindings.py "$scratch" $headers
    for file in examples/python/bml/_abi.py examples/common/bml_layout.h examples/fortran/bml_{sample,ssc,nn}.f90; do
        check "$file is what the headers say (make bindings)" diff "$file" "$scratch/$file"
    done
else
    skip "no python3 here: bindings and headers are not compared"
fi

if command -v gfortran >/dev/null; then
    fortran="gfortran -std=f2018 -Wall -Wextra -Werror -O2 -J$scratch"
    for room in sample ssc nn; do
        printf '#define BML_%s_IMPLEMENTATION\n#include "bml_%s.h"\n' "${room^^}" "$room" >"$scratch/$room.c"
        check "bml_$room.h for Fortran" ${CC:-cc} -O0 -I. -c "$scratch/$room.c" -o "$scratch/$room.o"
    done
    check "compton.f90" $fortran -o "$scratch/compton" examples/fortran/{bml_sample,compton}.f90 "$scratch/sample.o" -lm
    check "compton.f90: the means" "$scratch/compton"
    check "spectrum.f90" $fortran -o "$scratch/spectrum" examples/fortran/{bml_ssc,bml_nn,spectrum}.f90 "$scratch"/{ssc,nn}.o -lm
    check "spectrum.f90 runs" sh -c "$scratch/spectrum examples/models/ssc.safetensors >$scratch/out"
    check "spectrum.f90: the network" grep -q '^first output' "$scratch/out"
    ${CC:-cc} -O0 -I. examples/hello/hello_ssc.c -o "$scratch/hello_ssc" -lm && "$scratch/hello_ssc" >"$scratch/hello"
    check "spectrum.f90: the numbers of hello_ssc" sh -c "awk '{print \$1, \$2 + 0}' $scratch/hello >$scratch/a &&
        head -n 161 $scratch/out | awk '{print \$1, \$2 + 0}' | diff $scratch/a -"
else
    skip "no gfortran here"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
