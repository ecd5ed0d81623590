#!/bin/bash
# headers.sh: the contract of the family, as far as a compiler can check it. Every bml_*.h compiles alone in an empty folder,
# as C99 and as C++17, with gcc and with clang, without a warning, in any order, whatever a user's build does; what it
# cannot do right it refuses; it keeps nothing and prints nothing; the programs and the tests compile without a warning.
# headers.sh [HEADER]...: of these headers alone, without what is about all of them. Prints like a test program: "N passed, N failed, N skipped" last.
warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wdouble-promotion -Werror"
cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
include="-I. -Iexamples -Iexamples/common $(printf ' -I%s' examples/*/)"
implemented=$(printf ' -D%s_IMPLEMENTED' $(ls bml_*.h | sed 's/\.h$//' | tr '[:lower:]' '[:upper:]')) # programs need the declarations
quick=$(command -v clang || echo gcc) # reads and translates in a third of gcc's time, where what is translated matters little
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

# fails MESSAGE PATTERN COMMAND...: passed when the command fails and says PATTERN.
fails() {
    local message=$1 pattern=$2
    shift 2
    if "$@" >"$room/log" 2>&1; then
        echo "FAIL  $message: accepted"
    elif grep -Eq -- "$pattern" "$room/log"; then
        echo "ok    $message"
    else
        echo "FAIL  $message: the message does not say '$pattern'"
        head -n 5 "$room/log"
    fi
}

upper() { basename "$1" .h | tr '[:lower:]' '[:upper:]'; }

# unit FILE HEADER...: a source file that holds the implementations of the headers, in that order.
unit() {
    local file=$1 header
    shift
    for header in "$@"; do printf '#define %s_IMPLEMENTATION\n#include "%s"\n' "$(upper "$header")" "$header"; done >"$file"
}

# linked COMPILER FIRST: is the program linked too? One C and one C++ compiler of each kind do (the cheaper one where both are
# here), all under BML_CHECK_LONG; for the others the compiler reads the units, a tenth of the work.
linked() {
    [ -z "${BML_CHECK_LONG:-}" ] || return 0
    case "$1 $2" in
    "gcc IMPLEMENTATION" | "clang STATIC" | "clang++ IMPLEMENTATION") return 0 ;;
    "gcc STATIC") ! command -v clang >/dev/null ;;
    g++*) ! command -v clang++ >/dev/null ;;
    *) return 1 ;;
    esac
}

# two_units HEADER COMPILER STANDARD SUFFIX FIRST: the header alone in an empty folder, in two translation units of one
# program, one of them with the implementation, or both with a private copy (FIRST = STATIC); included twice in each.
# Where gcc compiles it, the object is looked into as well.
two_units() {
    local header=$1 cc=$2 std=$3 ext=$4 first=$5 name second comma=
    name=$(upper "$header")
    case $cc in clang*) comma=-Wcomma ;; esac
    cp "$header" "$room"
    second=$([ "$first" = STATIC ] && printf '#define %s_STATIC\n#define %s_IMPLEMENTATION\n' "$name" "$name")
    {
        [ "$first" = STATIC ] && echo "#define ${name}_STATIC"
        printf '#define %s_IMPLEMENTATION\n#include "%s"\n#include "%s"\nint first;\n' "$name" "$header" "$header"
    } >"$room/first.$ext"
    printf '%s\n#include "%s"\n#include "%s"\nint main(void) { return 0; }\n' "$second" "$header" "$header" >"$room/second.$ext"
    if ! linked "$cc" "$first"; then
        check "$header alone: $cc $std, first unit of two ($first)" "$cc" "-std=$std" $warnings $comma -fsyntax-only -I"$room" "$room/first.$ext"
        # with a private copy the second unit holds what the first does
        [ "$first" = STATIC ] ||
            check "$header alone: $cc $std, second unit of two ($first)" "$cc" "-std=$std" $warnings $comma -fsyntax-only -I"$room" "$room/second.$ext"
        return
    fi
    for unit in first second; do
        check "$header alone: $cc $std, $unit unit of two ($first)" "$cc" "-std=$std" $warnings $comma -O0 -I"$room" -c "$room/$unit.$ext" -o "$room/$unit.o"
    done
    check "$header alone: $cc $std, both in one program ($first)" "$cc" "$room/first.o" "$room/second.o" -o "$room/both" -lm
    [ "$cc $first" != "gcc IMPLEMENTATION" ] || contents "$header"
}

# strangers HEADER COMPILER: what a user's build may do to a header.
strangers() {
    local header=$1 cc=$2 name macros subset defines macro
    name=$(upper "$header")
    cp "$header" "$room"
    unit "$room/one.c" "$header"
    printf '#include "%s"\n' "$header" >"$room/api.c"
    local syntax=("$cc" -std=c99 $warnings -Wfatal-errors -fsyntax-only -I"$room")
    check "$header: $cc, with the macros of windows.h" "${syntax[@]}" -Dsmall=char -Dnear= -Dfar= -Dinterface=struct -DIN= -DOUT= \
        -DERROR=0 -DCONST=const -DVOID=void '-Dmin(a,b)=a' '-Dmax(a,b)=b' -Dhyper=__int64 "$room/one.c"
    if [ "$name" != BML_SAMPLE ]; then
        for flag in -ffast-math -Ofast -ffinite-math-only; do
            fails "$header: $cc $flag" 'fast-math' "${syntax[@]}" -O2 $flag "$room/one.c"
        done
        check "$header: $cc -Ofast -fno-fast-math" "$cc" -std=c99 -E -Ofast -fno-fast-math -I"$room" "$room/one.c"
    fi
    check "$header: $cc -Ofast, declarations only" "${syntax[@]}" -Ofast "$room/api.c"
    [ "$name" = BML_SAMPLE ] && fast_floats $cc
    [ "$cc" = gcc ] && gcc -mfpmath=387 -E -x c /dev/null >/dev/null 2>&1 &&
        fails "$header: excess precision" 'mfpmath=sse' "${syntax[@]}" -mfpmath=387 "$room/one.c"
    # own allocators: all of the macros or none
    macros=$(grep -o "${name}_\(MALLOC\|REALLOC\|FREE\)" "$header" | sort -u)
    for macro in $macros; do
        fails "$header: $cc, $macro alone" '#error|error: ' "${syntax[@]}" "-D$macro(...)=0" "$room/one.c"
    done
}

# fast_floats COMPILER: the functions whose roundings matter, where the compiler may reorder sums, for any machine and this one.
fast_floats() {
    local flags
    for flags in -Ofast "-Ofast -march=native"; do
        check "bml_sample.h: $1 $flags, a program" $1 -std=c99 $warnings $flags -I. tests/test_sample_floats.c -o "$room/floats" -lm
        check "bml_sample.h: $1 $flags, logarithms and exponentials" "$room/floats"
    done
}

# contents HEADER: what the text promises, and the object of its first unit.
contents() {
    local header=$1 name object=$room/first.o left found missing
    name=$(upper "$header")
    left=$(gcc -std=c99 -I. -dM -E "$room/first.c" | awk '{print $2}' | grep -E "^${name}__|^BML_[A-Z]+__" | tr '\n' ' ')
    check "$header: no private macro is left defined: $left" test -z "$left"
    left=$(nm -f sysv "$object" | awk -F'|' '$7 ~ /\.(data|bss)$/ && $4 ~ /OBJECT/ && $1 !~ /^first *$/ {print $1}' | tr '\n' ' ')
    check "$header: no mutable global: $left" test -z "$left"
    left=$(nm -u "$object" | awk '{print $2}' | grep -xE 'lgamma|lgammaf|strtok|rand|srand|localeconv|setlocale|printf|puts|putchar|exit|abort|time|clock|gettimeofday|clock_gettime|stdout|stderr' | tr '\n' ' ')
    check "$header: nothing that prints, ends, looks at the clock, or has state: $left" test -z "$left"
    check "$header: ${name}_VERSION" grep -Eq "^#define ${name}_VERSION [0-9]+" "$header"
    tail -n 70 "$header" >"$room/tail"
    check "$header: the first licence, last in the file" grep -q 'public domain' "$room/tail"
    check "$header: the second licence, last in the file" grep -q 'Permission is hereby granted' "$room/tail"
    # the contents list and the sections name each other
    awk '/end of API/ {f = 1} f' "$header" >"$room/inside"
    grep -oE '^/\* >> [^:(-]+' "$room/inside" | sed 's/^.* >> //; s/ *\(\*\/\)\{0,1\} *$//' >"$room/sections"
    missing=
    while read -r found; do
        [ "$(grep -cF ">> $found" "$room/inside")" -ge 2 ] || missing="$missing '$found'"
    done <"$room/sections"
    check "$header: a contents list names every section:$missing" test -s "$room/sections" -a -z "$missing"
    # functions are defined in the order of their declarations
    awk -v d="${name}_DEF" '/end of API/ {exit} $1 == d' "$header" | grep -oE '\bbml_[a-z]+_[a-z0-9_]+\(' >"$room/declared"
    grep "^${name}_DEF" "$room/inside" | sed 's/(\(bml_[a-z0-9_]*\))(/ \1(/' | grep -oE '\bbml_[a-z]+_[a-z0-9_]+\(' >"$room/defined"
    check "$header: definitions in the order of declarations" diff "$room/declared" "$room/defined"
}

# orders: all implementations in one unit, forwards and backwards, so that any two headers meet in either order; the other
# unit, in the opposite order, calls a function of each. With all in one file no name can stand twice.
orders() {
    local forwards backwards header
    forwards=$(ls bml_*.h)
    backwards=$(ls -r bml_*.h)
    unit "$room/forwards.c" $forwards
    unit "$room/backwards.c" $backwards
    for header in $backwards; do printf '#include "%s"\n' "$header"; done >"$room/use_forwards.c"
    for header in $forwards; do printf '#include "%s"\n' "$header"; done >"$room/use_backwards.c"
    for order in forwards backwards; do
        {
            printf 'int main(void) { return 0'
            for header in $forwards; do printf ' || %s_strerror(0) == 0' "${header%.h}"; done
            printf '; }\n'
        } >>"$room/use_$order.c"
        check "all headers in one unit, $order" $quick -std=c99 -O0 $warnings -I. "$room/$order.c" "$room/use_$order.c" -o "$room/both" -lm
    done
}

# generator: the random numbers are one text in all headers, and give the published answers.
generator() {
    local header first=
    for header in bml_nn.h bml_mcmc.h bml_sample.h bml_classify.h; do
        sed -n '/^\/\* >> random numbers$/,/^\/\* << random numbers/p' "$header" | sed 's/bml_[a-z]*_/bml_x_/g; s/BML_[A-Z]*_/BML_X_/g' >"$room/$header.text"
        [ -n "$first" ] || first=$header
        check "$header: its generator is a text" test -s "$room/$header.text"
        check "$header: the generator of $first" diff "$room/$first.text" "$room/$header.text"
    done
    for header in bml_nn.h bml_mcmc.h bml_sample.h bml_classify.h; do
        local x=${header%.h}
        {
            printf '#define %s_IMPLEMENTATION\n#include "%s"\n#include <stdio.h>\nint main(void) {\n' "$(upper "$header")" "$header"
            printf '    uint32_t out[4], counter[3][4] = {{0, 0, 0, 0}, {~0u, ~0u, ~0u, ~0u}, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}};\n'
            printf '    uint32_t key[3][2] = {{0, 0}, {~0u, ~0u}, {0xa4093822, 0x299f31d0}};\n    %s_rng rng;\n' "$x"
            printf '    for (int i = 0; i < 3; i++) {\n        %s_philox(out, counter[i], key[i]);\n' "$x"
            printf '        printf("%%08x %%08x %%08x %%08x\\n", out[0], out[1], out[2], out[3]);\n    }\n'
            printf '    %s_rng_init(&rng, 1, 0);\n    printf("%%.17g", %s_rng_uniform(&rng));\n    printf(" %%.17g\\n", %s_rng_normal(&rng));\n    return 0;\n}\n' "$x" "$x" "$x"
        } >"$room/$x.c"
        check "$header: a generator's program" $quick -std=c99 -O0 -I. "$room/$x.c" -o "$room/$x" -lm
        "$room/$x" >"$room/$x.out"
        # the known answers of Random123 (Salmon et al. 2011), kat_vectors, philox4x32 10
        printf '%s\n' '6627e8d5 e169c58d bc57ac4c 9b00dbd8' '408f276d 41c83b0e a20bc7c6 6d5451fd' 'd16cfe09 94fdcceb 5001e420 24126ea1' >"$room/known"
        check "$header: Philox's published answers" diff "$room/known" <(head -n 3 "$room/$x.out")
        check "$header: the same numbers as $first" diff "$room/${first%.h}.out" "$room/$x.out"
    done
}

# gate MACROS HEADER: the header without some of its parts.
gate() {
    unit "$room/one.c" "$2"
    check "$2 with $1" $quick -std=c99 $warnings $1 -O0 -fsyntax-only -I. "$room/one.c"
    check "$2 with $1, C++" g++ -std=c++17 $warnings $1 -O0 -fsyntax-only -I. -x c++ "$room/one.c"
}

for header in ${*:-bml_*.h}; do
    [ -e "$header" ] || continue
    for first in IMPLEMENTATION STATIC; do
        for cc in gcc clang; do have $cc && group two_units "$header" $cc c99 c $first; done
        for cc in g++ clang++; do have $cc && group two_units "$header" $cc c++17 cc $first; done
    done
    for cc in gcc clang; do have $cc && group strangers "$header" $cc; done
done
if [ $# -eq 0 ] && have gcc; then
    group orders
    group generator
    for part in -DBML_MCMC_NO_NESTED -DBML_MCMC_NO_NUTS -DBML_MCMC_NO_IMPORTANCE '-DBML_MCMC_NO_NESTED -DBML_MCMC_NO_NUTS' '-DBML_MCMC_NO_NESTED -DBML_MCMC_NO_IMPORTANCE -DBML_MCMC_NO_NUTS'; do group gate "$part" bml_mcmc.h; done
    for part in -DBML_NN_NO_TRAINING -DBML_NN_NO_FILES '-DBML_NN_NO_TRAINING -DBML_NN_NO_FILES'; do group gate "$part" bml_nn.h; done
    group gate -DBML_CLASSIFY_NO_NN bml_classify.h
fi

# lacks PATTERN FILE: no line of it is like that; where one is it is shown.
lacks() { ! grep -A 2 -- "$1" "$2"; }

# format: the project's own style file changes nothing. One run over all files: to start it takes longer than most of them.
format() {
    local file files
    mapfile -t files < <(git ls-files '*.c' '*.h' '*.cu' 2>/dev/null || ls bml_*.h bml_cuda.cu examples/*.c examples/*/*.[ch] tests/*.[ch])
    clang-format --dry-run -Werror "${files[@]}" >"$room/format" 2>&1
    echo "status $?" >>"$room/format"
    for file in "${files[@]}"; do
        check "clang-format leaves $file alone" lacks "^$file:" "$room/format"
    done
    check "clang-format read all files" grep -qx 'status 0' "$room/format"
}
[ $# -eq 0 ] && have clang-format && group format

if [ $# -eq 0 ] && [ -e bml_cuda.cu ]; then # its declarations are C; its kernels are compiled by gcc to be run, and by clang here
    for cc in gcc clang; do have $cc && group check "bml_cuda.cu: $cc c99" $cc -std=c99 $warnings -x c -fsyntax-only bml_cuda.cu; done
    have clang++ && group check "bml_cuda.cu: clang++ c++17" clang++ -std=c++17 $warnings -x c++ -fsyntax-only -I. tests/test_cuda.c
    have gcc && group check "examples/common/device.h with the GPU library: gcc c99" gcc -std=c99 $warnings -Wno-unknown-pragmas -DBML_WITH_CUDA -fsyntax-only $implemented $include examples/fit_sed/fit_sed.c
fi
for program in examples/*.c examples/*/*.c; do
    [ $# -eq 0 ] || break
    for cc in gcc clang; do
        have $cc && group check "$program: $cc c99" $cc -std=c99 $warnings -Wno-unknown-pragmas -fsyntax-only $implemented $include "$program"
    done
done
for test in tests/*.c; do
    [ $# -eq 0 ] && [ -n "${BML_CHECK_LONG:-}" ] || break # with gcc they are compiled to be run
    linked=$([[ $test == tests/test_* ]] && echo "$implemented")
    have clang && group check "$test: clang c99" clang -std=c99 $warnings -Wno-unknown-pragmas -fsyntax-only $linked $include "$test"
done
wait
for ((i = 1; i <= groups; i++)); do cat "$scratch/$i.out"; done >"$scratch/all"
cat "$scratch/all"
passed=$(grep -c '^ok ' "$scratch/all") failed=$(grep -c '^FAIL ' "$scratch/all") skipped=$(grep -c '^skip ' "$scratch/all")
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
