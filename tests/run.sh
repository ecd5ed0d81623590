#!/bin/bash
# run.sh DIR WHAT...: makes and runs every test, adds up what they count, and prints all FAIL lines again and the sum last.
# WHAT is a script (tests/x.sh) or the name of a program, which `make DIR/name` builds. Each prints "N passed,
# N failed, N skipped" last. A program that does not compile, crashes, hangs or prints no such line is one failure.
# The scripts, which mostly wait for compilers and files, run beside the programs; what they print comes after.
dir=$1
shift
passed=0 failed=0 skipped=0
logs=$(mktemp -d) || exit 1
trap 'rm -rf "$logs"; kill $(jobs -p) 2>/dev/null' EXIT

programs=() scripts=()
for what in "$@"; do
    case $what in *.sh) scripts+=("$what") ;; *) programs+=("$what") ;; esac
done
cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
${MAKE:-make} --no-print-directory -k -j"$cores" "${programs[@]/#/$dir/}" >"$logs/make" 2>&1 # what fails is made again below, and shown

# run NAME COMMAND...: prints what the command prints, keeps it in $logs/NAME, its status in $logs/NAME.status, and its
# seconds, of the clock and of the processors, in $logs/seconds.
TIMEFORMAT='%R %U'
run() {
    local name=$1
    shift
    echo "== $name"
    ( # a shell of its own: its time is that of its children alone
        time timeout "${BML_TEST_SECONDS:-600}" "$@" 2>&1 | tee "$logs/${name##*/}"
        echo "${PIPESTATUS[0]}" >"$logs/${name##*/}.status"
    ) 2>"$logs/${name##*/}.time"
    echo "$name $(cat "$logs/${name##*/}.time")" >>"$logs/seconds"
}

# count NAME: adds the last line of what NAME printed.
count() {
    local name=$1 log=$logs/${1##*/} status
    status=$(cat "$log.status" 2>/dev/null || echo 1)
    grep -h '^FAIL ' "$log" >>"$logs/fail" 2>/dev/null
    if [[ $(tail -n 1 "$log" 2>/dev/null) =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
        [ "$status" -eq 0 ] || [ "${BASH_REMATCH[2]}" -gt 0 ] || { # counted well, then crashed on the way out
            echo "FAIL  $name ended with status $status" | tee -a "$logs/fail"
            failed=$((failed + 1))
        }
    else
        echo "FAIL  $name ended with status $status before its last line" | tee -a "$logs/fail"
        failed=$((failed + 1))
    fi
}

for what in "${scripts[@]}"; do run "$what" bash "$what"; done >"$logs/scripts" 2>&1 &
beside=$!
for what in "${programs[@]}"; do
    if ${MAKE:-make} --no-print-directory "$dir/$what"; then
        run "$what" "$dir/$what"
        count "$what"
    else
        echo "FAIL  $what does not compile" | tee -a "$logs/fail"
        failed=$((failed + 1))
    fi
done
wait $beside
cat "$logs/scripts"
for what in "${scripts[@]}"; do count "$what"; done

echo "== all"
sort -k3,3nr "$logs/seconds" | awk '{ sum += $3; if (NR <= 5) most = most sep $1 " " $3; sep = ", " }
    END { printf "%.0f s of processor time; most: %s\n", sum, most }'
[ -z "${BML_TEST_TIMES:-}" ] || sort -k3,3nr "$logs/seconds"
[ ! -s "$logs/fail" ] || cat "$logs/fail"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
