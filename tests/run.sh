#!/bin/bash
# run.sh DIR WHAT...: makes and runs every test, adds up what they count, and prints the sum last.
# WHAT is a script (tests/x.sh) or the name of a program, which `make DIR/name` builds. Each prints "N passed,
# N failed, N skipped" last. A program that does not compile, crashes, hangs or prints no such line is one failure.
dir=$1
shift
passed=0 failed=0 skipped=0
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

programs=()
for what in "$@"; do [[ $what == *.sh ]] || programs+=("$dir/$what"); done
cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
${MAKE:-make} --no-print-directory -k -j"$cores" "${programs[@]}" >"$log" 2>&1 # what fails is made again below, and shown

for what in "$@"; do
    echo "== $what"
    case $what in
    *.sh) command=(bash "$what") ;;
    *)
        command=("$dir/$what")
        if ! ${MAKE:-make} --no-print-directory "$dir/$what"; then
            echo "FAIL  $what does not compile"
            failed=$((failed + 1))
            continue
        fi
        ;;
    esac
    timeout "${BML_TEST_SECONDS:-600}" "${command[@]}" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    if [[ $(tail -n 1 "$log") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
        [ "$status" -eq 0 ] || [ "${BASH_REMATCH[2]}" -gt 0 ] || { # counted well, then crashed on the way out
            echo "FAIL  $what ended with status $status"
            failed=$((failed + 1))
        }
    else
        echo "FAIL  $what ended with status $status before its last line"
        failed=$((failed + 1))
    fi
done

echo "== all"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
