#!/bin/bash
# lessons.sh: every lesson builds under strict warnings, runs in seconds and leaves its picture's data, and the picture
# where there is gnuplot; every hello_ program and tiny_fit compiles by the line in its first comment, in a folder that
# holds only it and the headers that it names, and runs there. Takes names of lessons, or nothing: all.
# Prints like a test program: "N passed, N failed, N skipped" last.
passed=0 failed=0 skipped=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
limit=60 # seconds for one lesson; they take one or two on an idle core
here=$PWD

# verdict MESSAGE OK: one check; OK is 0 when it passed.
verdict() {
    if [ "$2" -eq 0 ]; then
        echo "ok    $1"
        passed=$((passed + 1))
    else
        echo "FAIL  $1"
        failed=$((failed + 1))
    fi
}
skip() {
    echo "skip  $1"
    skipped=$((skipped + 1))
}

# ==== the lessons =====================================================================================================
[ $# -gt 0 ] || set -- $(cd examples/lessons && ls [0-9]*.c | sed 's/\.c$//')
${MAKE:-make} --no-print-directory "${@/#/build/lessons/}" >"$scratch/make" 2>&1
verdict "the lessons compile, strict warnings" $?
[ -s "$scratch/make" ] && grep -E 'error|warning' "$scratch/make" | head -n 5
for lesson in "$@"; do
    mkdir "$scratch/$lesson" && cd "$scratch/$lesson" || exit 1
    timeout $limit "$here/build/lessons/$lesson" >log 2>&1
    got=$?
    verdict "$lesson runs" $got
    [ $got -eq 0 ] || tail -n 3 log
    # Its data: curves of numbers, none of them NaN or infinite.
    awk '/^\$c[0-9]+ << END/ {inside = 1; curves++; next} /^END/ {inside = 0}
         inside && NF {rows++; if ($0 !~ /^[-+.0-9e ]+$/) bad = 1}
         END {exit !(curves > 0 && rows > 1 && !bad)}' "$lesson.gp" 2>/dev/null
    verdict "$lesson leaves its picture's data" $?
    if command -v gnuplot >/dev/null; then
        [ "$(head -c 4 "$lesson.png" 2>/dev/null | tail -c 3)" = PNG ] && [ "$(head -c 4 "$lesson.pdf" 2>/dev/null)" = %PDF ]
        verdict "$lesson draws PNG and PDF" $?
    else
        skip "$lesson draws: no gnuplot here"
    fi
    cd "$here" || exit 1
    grep -qF "cc -std=c99 -O2 -I. examples/lessons/$lesson.c -o lesson -lm && ./lesson" "examples/lessons/$lesson.c"
    verdict "$lesson tells how to compile it" $?
    grep -q "$lesson\.c" examples/lessons/lessons.md
    verdict "$lesson stands in lessons.md" $?
done

# ==== one line of cc ==================================================================================================
# one_line FILE: its first comment holds one line that begins with cc and names the file.
one_line() {
    awk 'NR > 1 && /^$/ {exit} {print} /\*\// {exit}' "$1" | sed -n 's|\*/.*||; s/^ *\(cc .*\)$/\1/p' | head -n 1
}
for file in examples/hello/hello_*.c examples/tiny_fit.c; do
    name=$(basename "$file" .c)
    line=$(one_line "$file")
    [ -n "$line" ]
    verdict "$name tells how to compile it" $?
    [ -n "$line" ] || continue
    folder=$scratch/line_$name
    mkdir "$folder" && cp "$file" $(sed -n 's/^#include "\(bml_.*\)"/\1/p' "$file") "$folder"
    if [ "$name" = hello_cuda ]; then
        [ -e build/libbml_cuda.so ] || { skip "$name by its line: no build/libbml_cuda.so here"; continue; }
        cp build/libbml_cuda.so bml_sample.h bml_ssc.h bml_nn.h "$folder"
    fi
    cd "$folder" || exit 1
    compile=${line%%&&*}
    cc() { command ${CC:-cc} "$@"; }
    eval "$compile" >log 2>&1 && [ -x "$name" ]
    verdict "$name compiles by its one line" $?
    head -n 3 log
    printf 'a,b,class\n' >table.csv
    for i in $(seq 60); do echo "$((i % 7)),$((i % 2 + i % 5)),$((i % 2))" >>table.csv; done
    case $name in
    hello_classify) timeout $limit ./$name table.csv class >log 2>&1 ;;
    hello_cuda) timeout $limit ./$name >log 2>&1 || { skip "$name runs: $(head -n 1 log)"; cd "$here"; continue; } ;;
    tiny_fit) timeout $limit ./$name "$here/examples/data/3hsp_j095507.dat" 0.557 >log 2>&1 ;;
    *) timeout $limit ./$name >log 2>&1 ;;
    esac
    verdict "$name runs there" $?
    cd "$here" || exit 1
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
