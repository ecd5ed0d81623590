#!/bin/bash
# hello.sh: every hello_ program and tiny_fit compiles by the line in its first comment, in a folder that holds only it and
# the headers that it includes, and runs there. Takes names (hello_nn), or nothing: all.
# Without BML_CHECK_LONG the lines are only checked by the compiler (tests/programs.sh runs the programs), which takes
# seconds where optimising six headers a dozen times takes minutes.
# Prints like a test program: "N passed, N failed, N skipped" last.
passed=0 failed=0 skipped=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
limit=300 # seconds for one run; they take one or two on an idle core
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

# torch_file: net.safetensors as examples/python/export_torch.py would write it, with made-up weights, and in `expected`
# what a linear layer, a batch norm and a linear layer make of (0.5, -1, 2), computed in Python.
torch_file() {
    python3 - <<'END'
import json, math, struct
x = [0.5, -1.0, 2.0]
value = lambda k: ((k * 37) % 64 - 32) / 64  # binary fractions: the same in float
tensors = {"hidden.weight": [4, 3], "hidden.bias": [4], "norm.weight": [4], "norm.bias": [4], "norm.running_mean": [4],
           "norm.running_var": [4], "out.weight": [2, 4]}
data, header, start = {}, {"__metadata__": {"format": "pt", "norm.epsilon": "0.001", "norm.momentum": "0.01"}}, 0
for name, shape in tensors.items():
    n = math.prod(shape)
    data[name] = [value(k + len(name)) + (2 if name == "norm.running_var" else 0) for k in range(n)]
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, start + 4 * n]}
    start += 4 * n
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open("net.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + b"".join(struct.pack("<%df" % len(v), *v) for v in data.values()))
d = data
h = [sum(d["hidden.weight"][3 * i + j] * x[j] for j in range(3)) + d["hidden.bias"][i] for i in range(4)]
h = [(h[i] - d["norm.running_mean"][i]) / math.sqrt(d["norm.running_var"][i] + 1e-3) * d["norm.weight"][i] + d["norm.bias"][i]
     for i in range(4)]
y = [sum(d["out.weight"][4 * i + j] * h[j] for j in range(4)) for i in range(2)]
open("expected", "w").write("[[%.6f, %.6f]]\n" % tuple(y))
END
}

# ==== one line of cc ==================================================================================================
# one_line FILE: its first comment holds one line that begins with cc and names the file.
one_line() {
    awk 'NR > 1 && /^$/ {exit} {print} /\*\// {exit}' "$1" | sed -n 's|\*/.*||; s/^ *\(cc .*\)$/\1/p' | head -n 1
}
[ $# -gt 0 ] || set -- $(basename -s .c examples/hello/hello_*.c examples/tiny_fit.c)
for name in "$@"; do
    file=$(ls examples/hello/$name.c examples/$name.c 2>/dev/null)
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
    if [ -z "${BML_CHECK_LONG:-}" ]; then
        eval "$compile -fsyntax-only" >log 2>&1
        verdict "$name compiles by its one line" $?
        head -n 3 log
        cd "$here" || exit 1
        continue
    fi
    eval "$compile" >log 2>&1 && [ -x "$name" ]
    verdict "$name compiles by its one line" $?
    head -n 3 log
    input=() want=0
    case $name in
    hello_classify)
        printf 'a,b,class\n' >table.csv
        for i in $(seq 60); do echo "$((i % 7)),$((i % 2 + i % 5)),$((i % 2))" >>table.csv; done
        input=(table.csv class)
        ;;
    hello_fermi)
        input=("$here/../shared/data/fermi/4fgl_dr2.csv")
        gunzip -c "${input[0]}.gz" >fermi.csv 2>/dev/null || { skip "$name runs: no ../shared/data/fermi here"; cd "$here"; continue; }
        input=(fermi.csv)
        ;;
    hello_import)
        torch_file 2>/dev/null || { skip "$name runs: no python3 here"; cd "$here"; continue; }
        input=(net.safetensors)
        ;;
    tiny_fit) # usable or not: its status must be that of its verdict
        awk -F, '/^[0-9]/ && $5 == 0 {print $1, $2, $3 ? $2 * $3 * 2.302585 : $4}' "$here/examples/data/3hsp_j095507.csv" >sed.txt
        input=(sed.txt 0.557)
        ;;
    hello_cuda) timeout $limit ./$name >log 2>&1 || { skip "$name runs: $(head -n 1 log)"; cd "$here"; continue; } ;;
    esac
    timeout $limit ./$name "${input[@]}" >log 2>&1
    got=$?
    [ $name = tiny_fit ] && grep -q '^verdict: NOT TO BE TRUSTED' log && want=2
    verdict "$name runs there: status $want" $((got != want))
    [ $got -eq $want ] || { echo "      status $got"; tail -n 3 log; }
    case $name in
    hello_import)
        [ "$(cat log)" = "$(cat expected)" ]
        verdict "hello_import gives what the file's net gives by hand" $?
        ;;
    tiny_fit)
        [ "$(grep -cE '^(lg |p ).* [0-9.e+-]+ -[0-9.]+ \+[0-9.]+$' log)" -eq 5 ] && grep -qE '^verdict: (usable|NOT TO BE TRUSTED)' log
        verdict "tiny_fit prints five parameters and its verdict" $?
        ;;
    hello_fermi)
        awk '/AUC/ {exit !($(NF-2) > 0.95)}' log
        verdict "hello_fermi: AUC above 0.95" $?
        ;;
    esac
    cd "$here" || exit 1
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
