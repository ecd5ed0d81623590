#!/bin/bash
# uncalled.sh: which public functions of the headers does no example, lesson or program call? Fails for one that a lesson
# or a hello could call; prints those that none should, with the reason. Comments and strings do not count as calls.
# Prints like a test program: "N passed, N failed, N skipped" last.
passed=0 failed=0

# No example calls these, each for its reason.
excused() {
    case $1 in
    *_philox | *_rng_u32) echo "what the generator's other calls stand on; the tests run published answers on it" ;;
    bml_nn_decode) echo "the other half of bml_nn_encode, for nets that are kept or sent as bytes; bml_nn_load is what one needs" ;;
    bml_sample_net_dims) echo "for programs that are handed a net they do not know" ;;
    bml_sample_compton_find) echo "the twin in double of bml_sample_compton_findf (hello_compton)" ;;
    *) return 1 ;;
    esac
}

# without_comments FILE...: their code.
without_comments() {
    awk '{
        line = $0; out = ""
        while (length(line)) {
            if (inside) { at = index(line, "*/"); if (!at) break; inside = 0; line = substr(line, at + 2); continue }
            at = index(line, "/*")
            if (!at) { out = out line; break }
            out = out substr(line, 1, at - 1); line = substr(line, at + 2); inside = 1
        }
        sub(/\/\/.*/, "", out); print out
    }' "$@" | sed 's/"[^"]*"/""/g'
}
called=$(without_comments $(find examples -name '*.c' -o -name '*.h') | grep -oE '\bbml_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u)

for header in bml_*.h; do
    name=${header%.h}
    public=$(awk '/end of API/ {exit} {print}' "$header" | grep -E "^([A-Z_0-9]+_DEF|static inline [A-Z_]+FUNC) " |
        grep -oE "\b${name}_[a-z0-9_]+\(" | tr -d '(' | sort -u)
    missing=0
    for function in $public; do
        grep -qx "$function" <<<"$called" && continue
        if why=$(excused "$function"); then
            echo "      $function: $why"
        else
            echo "      $function: called by no example, lesson or program"
            missing=$((missing + 1))
        fi
    done
    if [ "$missing" -eq 0 ]; then
        echo "ok    $header: all of its $(wc -w <<<"$public") functions are called, or excused above"
        passed=$((passed + 1))
    else
        echo "FAIL  $header: $missing of its $(wc -w <<<"$public") functions are called by no example, lesson or program"
        failed=$((failed + 1))
    fi
done

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
