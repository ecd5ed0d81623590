#!/bin/bash
# headers.sh: every bml_*.h compiles alone, as C99 and as C++17, with gcc and with clang, without a warning; declarations
# and implementation live together in one program; the programs and the tests compile without a warning.
# Takes nothing; prints like a test program: "N passed, N failed, N skipped" last.
warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wdouble-promotion -Werror"
cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
include="-I. -Iexamples -Iexamples/common $(printf ' -I%s' examples/*/)"
groups=0

# check MESSAGE COMMAND...: one check, passed when the command succeeds; what a failing one prints is shown.
check() {
    local message=$1
    shift
    if "$@" >"$room/log" 2>&1; then
        echo "ok    $message"
    else
        echo "FAIL  $message"
        head -n 20 "$room/log"
    fi
}

# group COMMAND...: runs checks beside others, in a folder of their own, $room; what they print is shown at the end, in order.
group() {
    groups=$((groups + 1))
    while [ "$(jobs -rp | wc -l)" -ge "$cores" ]; do wait -n; done
    (
        room=$scratch/$groups
        mkdir "$room"
        "$@"
    ) >"$scratch/$groups.out" 2>&1 &
}

have() {
    command -v "$1" >/dev/null && return
    groups=$((groups + 1))
    echo "skip  no $1 here" >"$scratch/$groups.out"
    return 1
}

# two_units HEADER COMPILER STANDARD SUFFIX FIRST: the header in two translation units of one program, one of them with the
# implementation, or both with a private copy (FIRST = STATIC); included twice in each, as happens through other headers.
two_units() {
    local header=$1 cc=$2 std=$3 ext=$4 first=$5 name second
    name=$(basename "$header" .h | tr '[:lower:]' '[:upper:]')
    second=$([ "$first" = STATIC ] && printf '#define %s_STATIC\n#define %s_IMPLEMENTATION\n' "$name" "$name")
    {
        [ "$first" = STATIC ] && echo "#define ${name}_STATIC"
        printf '#define %s_IMPLEMENTATION\n#include "%s"\n#include "%s"\nint first;\n' "$name" "$header" "$header"
    } >"$room/first.$ext"
    printf '%s\n#include "%s"\n#include "%s"\nint main(void) { return 0; }\n' "$second" "$header" "$header" >"$room/second.$ext"
    for unit in first second; do
        check "$header: $cc $std, $unit unit of two ($first)" "$cc" "-std=$std" $warnings -O0 -I. -c "$room/$unit.$ext" -o "$room/$unit.o"
    done
    check "$header: $cc $std, both in one program ($first)" "$cc" "$room/first.o" "$room/second.o" -o "$room/both" -lm
}

for header in bml_*.h; do
    [ -e "$header" ] || continue
    for first in IMPLEMENTATION STATIC; do
        if [ $first = STATIC ] && ! grep -q "$(basename "$header" .h | tr '[:lower:]' '[:upper:]')_STATIC" "$header"; then continue; fi
        for cc in gcc clang; do have $cc && group two_units "$header" $cc c99 c $first; done
        for cc in g++ clang++; do have $cc && group two_units "$header" $cc c++17 cc $first; done
    done
done
if [ -e bml_cuda.cu ]; then # its declarations are C; its kernels are compiled by gcc to be run, and by clang here
    for cc in gcc clang; do have $cc && group check "bml_cuda.cu: $cc c99" $cc -std=c99 $warnings -x c -fsyntax-only bml_cuda.cu; done
    have clang++ && group check "bml_cuda.cu: clang++ c++17" clang++ -std=c++17 $warnings -x c++ -fsyntax-only -I. tests/test_cuda.c
    have gcc && group check "examples/common/device.h with the GPU library: gcc c99" gcc -std=c99 $warnings -Wno-unknown-pragmas -DBML_WITH_CUDA -fsyntax-only $include examples/fit_sed/fit_sed.c
fi
for program in examples/*.c examples/*/*.c; do
    [ -e "$program" ] || continue
    for cc in gcc clang; do
        have $cc && group check "$program: $cc c99" $cc -std=c99 $warnings -Wno-unknown-pragmas -fsyntax-only $include "$program"
    done
done
for test in tests/*.c; do # with gcc they are compiled to be run
    have clang && group check "$test: clang c99" clang -std=c99 $warnings -Wno-unknown-pragmas -fsyntax-only $include "$test"
done
wait
for ((i = 1; i <= groups; i++)); do cat "$scratch/$i.out"; done >"$scratch/all"
cat "$scratch/all"
passed=$(grep -c '^ok ' "$scratch/all") failed=$(grep -c '^FAIL ' "$scratch/all") skipped=$(grep -c '^skip ' "$scratch/all")
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
