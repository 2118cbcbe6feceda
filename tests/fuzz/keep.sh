#!/bin/bash
# Keeps what the runs of a fuzzer have found worth keeping, beyond what the scenarios give and in the smallest inputs:
#
#     tests/fuzz/keep.sh BUILD NAME [BYTES]
#
# BUILD is build/clang/tests/fuzz. Writes corpus/NAME.base64, an input a line; BYTES bounds the inputs together (100,000).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1 name=$2 most=${3:-100000}
kind=${name%16}
merged=$(mktemp -d)
trap 'rm -rf "$merged"' EXIT
mkdir -p "$build/seeds/$kind" "$build/work/$name" "$here/corpus"
"$here/unpack.sh" "$here/corpus/$kind.base64" "$build/corpus/$kind"
cp -r "$build/seeds/$kind" "$merged/all"
"$build/fuzz_$name" -merge=1 -timeout=60 -max_len=1500 "$merged/all" "$build/corpus/$kind" "$build/work/$name"
# The smallest first: they run fastest, and most find room.
find "$merged/all" -type f -printf '%s %p\n' | sort -n | while read -r size file; do
    [ ! -e "$build/seeds/$kind/$(basename "$file")" ] || continue
    most=$((most - size))
    [ "$most" -ge 0 ] || break
    base64 -w 0 "$file"
    echo
done > "$merged/kept"
mv "$merged/kept" "$here/corpus/$kind.base64"
wc -lc "$here/corpus/$kind.base64"
