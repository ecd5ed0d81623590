#!/bin/bash
# run.sh DIR WHAT...: makes and runs every test, adds up what they count, and prints all FAIL lines again and the sum last.
# WHAT is a script (tests/x.sh) or the name of a program, which `make DIR/name` builds. Each prints "N passed,
# N failed, N skipped" last. A program that does not compile, crashes, hangs or prints no such line is one failure.
# Everything is compiled first, BML_TEST_NEEDS too, the targets that the scripts ask for. Then one test runs on each core, in
# the order of WHAT: with the longest first no core is idle at the end. What a test prints comes when it has ended.
dir=$1
shift
passed=0 failed=0 skipped=0
logs=$(mktemp -d) || exit 1
trap 'rm -rf "$logs"; kill $(jobs -p) 2>/dev/null' EXIT
cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
export OMP_WAIT_POLICY=passive # a thread that waits leaves its core to the other tests; the numbers do not depend on it
TIMEFORMAT='%R %U %S'

programs=()
for what in "$@"; do [[ $what == *.sh ]] || programs+=("$dir/$what"); done
{ time ${MAKE:-make} --no-print-directory -k -j"$cores" "${programs[@]}" $BML_TEST_NEEDS >"$logs/make" 2>&1; } 2>"$logs/make.time"
made=$? # what fails is made again below, and shown
echo "compiling $(cat "$logs/make.time")" >"$logs/seconds"

# run WHAT: makes and runs it; what it prints goes to $logs/NAME, its status to $logs/NAME.status, and its seconds, of the
# clock and of the processors, to $logs/seconds.
run() {
    local what=$1 log=$logs/${1##*/} command=("$dir/$1")
    [[ $what == *.sh ]] && command=(bash "$what")
    echo "== $what" >"$log"
    if [[ $what != *.sh ]] && [ "$made" -ne 0 ] && ! ${MAKE:-make} --no-print-directory "$dir/$what" >>"$log" 2>&1; then
        echo compile >"$log.status"
        return
    fi
    ( # a shell of its own: its time is that of its children alone
        time {
            timeout "${BML_TEST_SECONDS:-600}" "${command[@]}" >>"$log" 2>&1
            echo $? >"$log.status"
        }
    ) 2>"$log.time"
    echo "$what $(cat "$log.time")" >>"$logs/seconds"
}

# count WHAT: shows what it printed, and adds the last line.
count() {
    local what=$1 log=$logs/${1##*/} status
    cat "$log"
    status=$(cat "$log.status" 2>/dev/null || echo 1)
    if [ "$status" = compile ]; then
        echo "FAIL  $what does not compile" | tee -a "$logs/fail"
        failed=$((failed + 1))
        return
    fi
    grep -h '^FAIL ' "$log" >>"$logs/fail"
    if [[ $(tail -n 1 "$log") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
        [ "$status" -eq 0 ] || [ "${BASH_REMATCH[2]}" -gt 0 ] || { # counted well, then crashed on the way out
            echo "FAIL  $what ended with status $status" | tee -a "$logs/fail"
            failed=$((failed + 1))
        }
    else
        echo "FAIL  $what ended with status $status before its last line" | tee -a "$logs/fail"
        failed=$((failed + 1))
    fi
}

# ended: counts the tests that are through.
waiting=()
ended() {
    local what still=()
    for what in "${waiting[@]}"; do
        if [ -e "$logs/${what##*/}.through" ]; then count "$what"; else still+=("$what"); fi
    done
    waiting=("${still[@]}")
}

for what in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge "$cores" ]; do wait -n; done
    ended
    { run "$what"; touch "$logs/${what##*/}.through"; } &
    waiting+=("$what")
done
while [ -n "$(jobs -rp)" ]; do
    wait -n
    ended
done
for what in "${waiting[@]}"; do count "$what"; done

echo "== all"
awk '{ print $1, $2, $3 + $4 }' "$logs/seconds" | sort -k3,3nr >"$logs/sorted"
awk '{ sum += $3; if (NR <= 6) most = most sep $1 " " $3; sep = ", " }
    END { printf "%.0f s of processor time; most: %s\n", sum, most }' "$logs/sorted"
[ -z "${BML_TEST_TIMES:-}" ] || cat "$logs/sorted"
[ ! -s "$logs/fail" ] || cat "$logs/fail"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
