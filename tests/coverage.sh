#!/bin/bash
# coverage.sh: is a posterior of fit_sed honest? 200 sources from the prior, solved exactly, seen at the points and with the
# errors of the first simulated case, are fitted through the network; the ranks of the truths must be uniform, p > 0.001 for
# every parameter, and 68 % intervals must hold the truth for 61 to 75 % of the sources (two standard deviations of 200).
# Some 40 minutes on two cores: part of make check-long only. Prints like a test program.
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
${MAKE:-make} -s build/fit_sed build/simulate_sed >"$folder/log" 2>&1 &&
    build/simulate_sed --case 1 >"$folder/case1.csv" &&
    build/fit_sed "$folder/case1.csv" --model examples/models/ssc.safetensors --calibrate "${BML_COVERAGE_SOURCES:-200}" --steps 1500 \
        --seed 40 --quiet --out "$folder/out" >"$folder/table" 2>"$folder/log" || { cat "$folder/log"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
cat "$folder/table"
awk '$4 == "+-" { n++
        for (k = 0; k < 2; k++) {
            good = k ? $3 >= 0.61 && $3 <= 0.75 : $2 > 0.001
            good ? passed++ : failed++
            printf "%s  %s: %s\n", good ? "ok   " : "FAIL ", $1, k ? "68 % hold " $3 : "p(ranks) = " $2
        } }
     END { if (n != 8) failed++
         printf "%d passed, %d failed, 0 skipped\n", passed, failed
         exit failed > 0 }' "$folder/table"
