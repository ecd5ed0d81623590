#!/bin/bash
# portable.sh: one small program per header (tests/portable/) prints the same digits on every machine: other compilers, C
# libraries, processors (under qemu-user), byte orders. A net that one machine wrote is read by all. mingw-w64 compiles
# every header and every hello_ program. What is not installed is skipped, and named. Part of `make check-long`.
#     sudo apt-get install -y clang tcc musl-tools qemu-user gcc-{aarch64,riscv64,s390x,i686}-linux-gnu \
#         gcc-arm-linux-gnueabihf gcc-mingw-w64-x86-64
# Prints like a test program, and a table: "N passed, N failed, N skipped" last.
passed=0 failed=0 skipped=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
programs="ssc hadron mcmc nn sample classify"
common="-O2 -ffp-contract=off -I." # one rounding per operation: aarch64 and s390x could fuse two, which moves last digits

verdict() {
    if [ "$2" -eq 0 ]; then
        echo "ok    $1"
        passed=$((passed + 1))
    else
        echo "FAIL  $1"
        failed=$((failed + 1))
    fi
}
skip() { echo "skip  $1"; skipped=$((skipped + 1)); }

# links COMPILER [FLAG]...: whether its C library is there too; Debian's cross compilers only recommend theirs.
links() { printf '#include <stdio.h>\nint main(void) { return puts(""); }\n' | "$@" -x c -o "$scratch/probe" - 2>/dev/null; }

# machine NAME RUNNER COMPILER [FLAG]...: builds and runs the programs; the first machine's output is what others are held to.
machine() {
    local name=$1 runner=$2 cc=$3 program file ok row=
    shift 3
    command -v "$cc" >/dev/null || { skip "$name: no $cc here"; return; }
    [ -z "$runner" ] || command -v "${runner%% *}" >/dev/null || { skip "$name: no ${runner%% *} here"; return; }
    mkdir -p "$scratch/$name"
    links "$cc" "$@" || { skip "$name: $cc has no C library here"; return; }
    for program in $programs; do
        file=$scratch/$name/$program
        ok=1
        if "$cc" $common "$@" tests/portable/$program.c -o "$file" -lm >"$file.log" 2>&1; then
            timeout 300 $runner "$file" "$file.model" >"$file.out" 2>&1 && { [ -e "$scratch/$program.out" ] || cp "$file.out" "$scratch/$program.out"; }
            cmp -s "$file.out" "$scratch/$program.out"
            ok=$?
        fi
        verdict "$name: $program prints the digits of the first machine" $ok
        [ $ok -eq 0 ] || { head -n 3 "$file.log"; diff "$file.out" "$scratch/$program.out" 2>/dev/null | head -n 4; }
        row="$row $([ $ok -eq 0 ] && echo same || echo DIFFERS)"
    done
    [ -e "$scratch/model" ] || cp "$scratch/$name/nn.model" "$scratch/model"
    timeout 300 $runner "$scratch/$name/nn" "$scratch/model" read >"$scratch/$name/read" 2>&1
    cmp -s "$scratch/$name/read" "$scratch/nn.out"
    verdict "$name: the first machine's net, read back" $?
    echo "| $name |$(echo "$row" | sed 's/ / | /g; s/^ | / /') |" >>"$scratch/table"
}

machine "x86-64 gcc" "" gcc -std=c99
machine "x86-64 gcc -march=native -O3" "" gcc -std=c99 -march=native -O3
machine "x86-64 clang" "" clang -std=c99
machine "x86-64 tcc" "" tcc
machine "x86-64 musl" "" musl-gcc -std=c99 -static
machine "i386 SSE" qemu-i386 i686-linux-gnu-gcc -std=c99 -static -msse2 -mfpmath=sse
machine "aarch64" qemu-aarch64 aarch64-linux-gnu-gcc -std=c99 -static
machine "armhf" qemu-arm arm-linux-gnueabihf-gcc -std=c99 -static
machine "riscv64" qemu-riscv64 riscv64-linux-gnu-gcc -std=c99 -static
machine "s390x, big endian" qemu-s390x s390x-linux-gnu-gcc -std=gnu99 -static

mingw=x86_64-w64-mingw32-gcc
if command -v $mingw >/dev/null; then
    for header in bml_*.h; do
        printf '#include <windows.h>\n#define %s_IMPLEMENTATION\n#include "%s"\nint main(void) { return 0; }\n' \
            "$(basename "$header" .h | tr '[:lower:]' '[:upper:]')" "$header" >"$scratch/one.c"
        $mingw -std=c99 $common "$scratch/one.c" -o "$scratch/one.exe" >"$scratch/log" 2>&1
        verdict "mingw-w64, after windows.h: $header" $?
    done
    for hello in examples/hello/hello_*.c; do
        case $hello in *cuda*) continue ;; esac
        $mingw -std=c99 $common "$hello" -o "$scratch/hello.exe" >"$scratch/log" 2>&1
        verdict "mingw-w64: $hello" $?
    done
else
    skip "no $mingw here"
fi

# excess precision and the other C99 rounding of s390x: right, or refused
if command -v i686-linux-gnu-gcc >/dev/null && links i686-linux-gnu-gcc; then
    for program in $programs; do
        ! i686-linux-gnu-gcc -std=c99 $common -mfpmath=387 -fsyntax-only tests/portable/$program.c 2>"$scratch/log" && grep -q mfpmath=sse "$scratch/log"
        verdict "i386 x87: $program is refused, and says why" $?
    done
else
    skip "i386 x87: no i686-linux-gnu-gcc with a C library here"
fi
echo "| machine | $(echo $programs | sed 's/ / | /g') |"
[ ! -e "$scratch/table" ] || cat "$scratch/table"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
