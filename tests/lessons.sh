#!/bin/bash
# lessons.sh: every lesson builds under strict warnings, runs in seconds and leaves its picture's data, and the picture
# where there is gnuplot. Takes names of lessons, or nothing: all.
# Prints like a test program: "N passed, N failed, N skipped" last.
passed=0 failed=0 skipped=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
limit=300 # seconds for one lesson; they take one or two on an idle core
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
# Without BML_CHECK_LONG every third one: all take a minute of one core (tests/headers.sh compiles each, strictly).
every=$([ -n "${BML_CHECK_LONG:-}" ] && echo 1 || echo 3)
[ $# -gt 0 ] || set -- $(cd examples/lessons && ls [0-9]*.c | sed 's/\.c$//' | awk -v every="$every" 'NR % every == 1 % every')
${MAKE:-make} --no-print-directory "${@/#/build/lessons/}" >"$scratch/make" 2>&1
verdict "the lessons compile, strict warnings" $?
grep -E ': (error|warning):' "$scratch/make" | head -n 5
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

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
