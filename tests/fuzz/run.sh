#!/bin/bash
# Runs one fuzzer: what it finds worth keeping goes to BUILD/work/NAME, an input that fails to BUILD/found.
#
#     tests/fuzz/run.sh BUILD NAME SECONDS [OPTION OF LIBFUZZER...]
#
# BUILD is build/clang/tests/fuzz. It starts from the regressions, the kept corpus, and the inputs made of the scenarios.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1 name=$2 seconds=$3
shift 3
kind=${name%16} # broker16 has the inputs of broker
mkdir -p "$build/work/$name" "$build/found"
folders=("$build/work/$name")
"$here/unpack.sh" "$here/corpus/$kind.base64" "$build/corpus/$name"
for folder in "$here/regressions/$kind" "$build/corpus/$name" "$build/seeds/$kind"; do
    [ ! -d "$folder" ] || folders+=("$folder")
done
echo "fuzzer $name for $seconds s; the seed below as -seed=N, with an empty $build/work/$name, repeats the run"
exec "$build/fuzz_$name" -max_total_time="$seconds" -timeout=60 -max_len=1500 -print_final_stats=1 -verbosity=1 \
    -artifact_prefix="$build/found/$name-" "$@" "${folders[@]}"
