#!/bin/bash
# farm.sh: examples/common/farm.h under mpirun: the same bytes at any number of ranks, a slow point that holds nobody, a rank
# that dies. Skipped, and said, without MPI (Debian: libopenmpi-dev openmpi-bin).
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0
command -v mpicc >/dev/null && command -v mpirun >/dev/null || {
    echo "skip  no MPI here (Debian: libopenmpi-dev openmpi-bin)"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
check() { # check TEXT STATUS
    if [ "$2" -eq 0 ]; then
        echo "ok    $1"
        passed=$((passed + 1))
    else
        echo "FAIL  farm: $1"
        failed=$((failed + 1))
    fi
}

strict="-std=c99 -O2 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wdouble-promotion -Werror"
# Warnings of MPI's own headers are not ours.
include=$(mpicc --showme:incdirs 2>/dev/null | tr ' ' '\n' | sed 's/^/-isystem /' | tr '\n' ' ')
mpicc $strict $include -DBML_WITH_MPI -Iexamples/common -o "$work/farm" tests/farm_check.c -lm
check "compiles with mpicc, strict warnings" $?
${CC:-cc} $strict -Iexamples/common -o "$work/alone" tests/farm_check.c -lm
check "compiles without MPI" $?

# As root, and with more ranks than cores: what a container offers.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl_vader_single_copy_mechanism=none PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
run() { timeout 120 mpirun -np "$@"; }

"$work/alone" map 101 1 >"$work/one"
check "one process" $?
for how in '1 1' '2 7' '4 1' '4 7' '4 200'; do
    read -r ranks block <<<"$how"
    run $ranks "$work/farm" map 101 $block >"$work/many" 2>"$work/why" && cmp "$work/one" "$work/many"
    check "$ranks ranks, blocks of $block: the same bytes" $?
done

# 99 points of 5 ms and one of 500 ms: 0.5 s where the slow one holds nobody; what waits behind it needs 1 s.
took=$(run 4 "$work/farm" slow)
awk -v t="$took" 'BEGIN { exit !(t > 0 && t < 0.95) }'
check "a slow point holds nobody (0.5 s by itself; $took s with 99 others)" $?

said=$(run 4 "$work/farm" die 2>"$work/why")
[[ $said == saved* ]] && grep -q 'signal' "$work/why"
check "a rank that dies ends the run, with a message, and rank 0 comes back ($said)" $?

# The family's main job by four ranks and by one process (minutes: in make check-long).
if [ -n "${BML_CHECK_LONG:-}" ]; then
    make build/fit_sed build/mpi/fit_sed >"$work/why" 2>&1
    fit="examples/data/3hsp_j095507.csv --redshift 0.557 --steps 100 --seed 3 --quiet"
    build/fit_sed $fit --threads 1 --out "$work/1" >"$work/said" 2>&1
    timeout 600 mpirun -np 4 build/mpi/fit_sed $fit --out "$work/4" >"$work/said" 2>&1
    cmp "$work/1/chain.npy" "$work/4/chain.npy" && cmp "$work/1/posterior.csv" "$work/4/posterior.csv"
    check "fit_sed by 4 ranks: the bytes of one process" $?
    make build/train_surrogate build/mpi/train_surrogate >"$work/why" 2>&1
    train="--n 300 --epochs 2 --threads 1 --quiet"
    build/train_surrogate $train --out "$work/net1" >"$work/said" 2>&1
    timeout 600 mpirun -np 3 build/mpi/train_surrogate $train --out "$work/net3" >"$work/said" 2>&1
    cmp "$work/net1/model.safetensors" "$work/net3/model.safetensors"
    check "train_surrogate by 3 ranks: the bytes of one process" $?
fi
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
