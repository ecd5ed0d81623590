#!/bin/bash
# headers.sh: every bml_*.h compiles alone, as C99 and as C++17, with gcc and with clang, without a warning; declarations
# and implementation live together in one program; the programs and the tests compile without a warning.
# Takes nothing; prints like a test program: "N passed, N failed, N skipped" last.
warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wdouble-promotion -Werror"
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

have() {
    command -v "$1" >/dev/null && return
    echo "skip  no $1 here"
    skipped=$((skipped + 1))
    return 1
}

# two_units HEADER COMPILER STANDARD SUFFIX: the header in two translation units of one program, one of them with the
# implementation, or both with a private copy; included twice in each, as happens through other headers.
two_units() {
    local header=$1 cc=$2 std=$3 ext=$4 room first second
    room=$(basename "$header" .h | tr '[:lower:]' '[:upper:]')
    for first in IMPLEMENTATION STATIC; do
        if [ $first = STATIC ] && ! grep -q "${room}_STATIC" "$header"; then continue; fi
        second=$([ $first = STATIC ] && printf '#define %s_STATIC\n#define %s_IMPLEMENTATION\n' "$room" "$room")
        {
            [ $first = STATIC ] && echo "#define ${room}_STATIC"
            printf '#define %s_IMPLEMENTATION\n#include "%s"\n#include "%s"\nint first;\n' "$room" "$header" "$header"
        } >"$scratch/first.$ext"
        printf '%s\n#include "%s"\n#include "%s"\nint main(void) { return 0; }\n' "$second" "$header" "$header" >"$scratch/second.$ext"
        rm -f "$scratch"/*.o
        for unit in first second; do
            check "$header: $cc $std, $unit unit of two ($first)" "$cc" "-std=$std" $warnings -O1 -I. -c "$scratch/$unit.$ext" -o "$scratch/$unit.o"
        done
        check "$header: $cc $std, both in one program ($first)" "$cc" "$scratch/first.o" "$scratch/second.o" -o "$scratch/both" -lm
    done
}

for header in bml_*.h; do
    [ -e "$header" ] || continue
    for cc in gcc clang; do have $cc && two_units "$header" $cc c99 c; done
    for cc in g++ clang++; do have $cc && two_units "$header" $cc c++17 cc; done
done
for program in examples/*.c; do
    [ -e "$program" ] || continue
    for cc in gcc clang; do
        have $cc && check "$program: $cc c99" $cc -std=c99 $warnings -Wno-unknown-pragmas -O1 -I. -Iexamples -c "$program" -o "$scratch/program.o"
    done
done
for test in tests/*.c; do # with gcc they are compiled to be run
    have clang && check "$test: clang c99" clang -std=c99 $warnings -Wno-unknown-pragmas -fsyntax-only -I. -Iexamples "$test"
done

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
