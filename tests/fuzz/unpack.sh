#!/bin/bash
# Unpacks a corpus, an input in base64 a line, into files:
#
#     tests/fuzz/unpack.sh FILE FOLDER
set -eu
rm -rf "$2"
mkdir -p "$2"
[ -e "$1" ] || exit 0
count=0
while read -r line; do
    count=$((count + 1))
    base64 -d <<< "$line" > "$2/$count"
done < "$1"
