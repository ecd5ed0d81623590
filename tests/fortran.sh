#!/bin/bash
# fortran.sh: the Fortran module and its program compile with gfortran, without a warning, and the means come out right.
# Prints like a test program: "N passed, N failed, N skipped" last.
command -v gfortran >/dev/null || { echo "skip  no gfortran here"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
printf '#define BML_SAMPLE_IMPLEMENTATION\n#include "bml_sample.h"\n' >"$scratch/bml_sample.c"
if ${CC:-cc} -O2 -I. -c "$scratch/bml_sample.c" -o "$scratch/bml_sample.o" &&
    gfortran -std=f2008 -Wall -Wextra -Werror -O2 -J"$scratch" -o "$scratch/compton" examples/fortran/bml_sample.f90 \
        examples/fortran/compton.f90 "$scratch/bml_sample.o" -lm && "$scratch/compton"; then
    echo "ok    examples/fortran/compton.f90"
    echo "1 passed, 0 failed, 0 skipped"
else
    echo "FAIL  examples/fortran/compton.f90"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi
