#!/bin/bash
# readme.sh: the programs of README.md, each compiled with the line that stands above it, beside the one header that it
# includes and nothing else, must print what stands beside that line.
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0 skipped=0
here=$PWD
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

check() { # check TEXT STATUS
    if [ "$2" -eq 0 ]; then
        echo "ok    $1"
        passed=$((passed + 1))
    else
        echo "FAIL  readme: $1"
        failed=$((failed + 1))
    fi
}

# One folder for each program: prog.c, the command above it, and what it should print: `cc ...` prints `...`.
awk -v work="$work" '
    /^`cc .*` prints `.*`:$/ { split($0, part, "`"); command = part[2]; expected = part[4] }
    /^```c$/ { dir = work "/" ++n; system("mkdir " dir); file = dir "/program.c"
               print command >(dir "/command"); print expected >(dir "/expected"); next }
    /^```/ { close(file); file = ""; next }
    file != "" { print >file }' README.md

programs=0
for dir in "$work"/[0-9]*; do
    programs=$((programs + 1))
    command=$(cat "$dir/command")
    source=$(grep -o '[a-z_]*\.c' <<<"$command" | head -1)
    header=$(grep -o 'bml_[a-z]*\.h' "$dir/program.c" | head -1)
    mv "$dir/program.c" "$dir/$source"
    cp "$here/$header" "$dir"
    (cd "$dir" && bash -c "$command" >printed 2>&1 && diff expected printed)
    check "$source with $header alone prints what README.md says ($command)" $?
done
[ "$programs" -ge 2 ]
check "README.md shows two programs ($programs)" $?

# Compilers in their default mode evaluate float as float, whatever FLT_EVAL_METHOD they give: 16 with 16-bit floats.
if [ "$(printf '#include <float.h>\nFLT_EVAL_METHOD\n' | gcc -mavx512fp16 -E -P -x c - 2>/dev/null | tail -n 1)" = 16 ]; then
    for header in bml_*.h; do
        printf '#define %s_IMPLEMENTATION\n#include "%s"\n' "$(tr a-z A-Z <<<"${header%.h}")" "$header" >"$work/own.c"
        gcc -mavx512fp16 -fsyntax-only -I. "$work/own.c"
        check "$header compiles where FLT_EVAL_METHOD is 16" $?
    done
else
    echo "skip  no gcc here with FLT_EVAL_METHOD 16"
    skipped=$((skipped + 1))
fi

# What the README names is there.
missing=$(grep -oE '\]\([^)#: ]+\)|`(examples|tests)/[A-Za-z0-9_./]+`' README.md | tr -d '`[]()' | while read -r path; do
    [ -e "$path" ] || echo "$path"
done)
[ -z "$missing" ]
check "every file named in README.md exists ${missing:+(missing: $missing)}" $?
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
