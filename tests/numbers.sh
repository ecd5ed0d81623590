#!/bin/bash
# numbers.sh [WORD]: runs the commands that stand in tests/NUMBERS.md and writes what they print, with machine and date,
# below each. With WORD, only those whose command holds it. `make numbers` builds the programs first.
#
# A command stands in a line of its own:   <!-- numbers: build/bench_ssc -->
# and what it printed between the next ``` and the ``` after it.
set -u
cd "$(dirname "$0")/.." || exit 1
book=tests/NUMBERS.md
word=${1:-}
new=$(mktemp) out=$(mktemp) || exit 1
trap 'rm -f "$new" "$out"' EXIT

machine=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -1)
cores=$(getconf _NPROCESSORS_ONLN)
compiler=$(${CC:-gcc} --version | head -1)
load() { cut -d' ' -f1 /proc/loadavg 2>/dev/null; }

failed=0 state=text
while IFS= read -r line; do
    case $state in
    text)
        printf '%s\n' "$line" >>"$new"
        if [[ $line =~ ^\<!--\ numbers:\ (.*)\ --\>$ ]]; then
            command=${BASH_REMATCH[1]}
            if [[ $command == *"$word"* ]]; then state=command; fi
        fi
        ;;
    command) # the opening ``` of what was printed before
        [ "$line" = '```' ] || { echo "$book: \`\`\` expected after the command $command" >&2; exit 1; }
        echo "numbers: $command" >&2
        before=$(load)
        if bash -c "$command" >"$out" 2>&1; then
            {
                echo '```'
                echo "# $(date -u +%Y-%m-%d), $machine, $cores cores, load $before, $compiler"
                printf '$ %s\n' "$command"
                cat "$out"
            } >>"$new"
            state=old
        else
            echo "numbers: $command failed; its old figures stay" >&2
            tail -n 3 "$out" >&2
            printf '%s\n' "$line" >>"$new"
            failed=1 state=text
        fi
        ;;
    old) # dropped, up to the closing ```
        if [ "$line" = '```' ]; then
            printf '%s\n' "$line" >>"$new"
            state=text
        fi
        ;;
    esac
done <"$book"
cat "$new" >"$book"
exit $failed
