#!/bin/sh
# Builds the core's unit and conformance tests for a board that has a core-tests.ld, and runs them in its emulator:
#
#     tests/firmware/target.sh BOARD build | unit | conformance LIMITS
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
board=${1:-}
build=$root/build/firmware/$board-core

# Runs one image; its exit status is the emulator's. Nothing on a board knows how long a test may take, so timeout does.
run() {
    image=$1
    shift
    arguments="enable=on,target=native,arg=$(basename "$image" .elf)"
    for argument in "$@"; do
        arguments="$arguments,arg=$argument"
    done
    # shellcheck disable=SC2046 # a command with its arguments
    timeout 600 $(cat "$build/emulator") -display none -monitor none -serial none -kernel "$image" \
        -semihosting-config "$arguments" < /dev/null
}

case ${2:-} in
build)
    "$root/boards/fetch.sh" cmocka
    mkdir -p "$build"
    cmake -S "$root/tests/firmware/target" -B "$build" -G Ninja -DBOARD_DIR="$root/boards/$board" \
        -DCMOCKA_DIR="$root/build/third-party/cmocka" \
        -DCMAKE_TOOLCHAIN_FILE="$root/boards/toolchain.cmake" > "$build.log" 2>&1 || { cat "$build.log" >&2; exit 1; }
    ninja -C "$build" > "$build.log" 2>&1 || { cat "$build.log" >&2; exit 1; }
    ;;
unit)
    failed=
    for image in "$build"/unit_*.elf; do
        run "$image" || { echo "$(basename "$image"): failed" >&2; failed=yes; }
    done
    [ -z "$failed" ]
    ;;
conformance)
    # One file at a time, without the scenarios marked as large: a script takes far more memory than its text.
    failed=
    for file in "$root"/tests/conformance/scenarios/*.scn; do
        small=$build/$(basename "$file")
        awk '/^\[/ { if (!large) printf "%s", text; else left++; text = ""; large = 0 }
            { text = text $0 "\n" }
            /^ +large$/ { large = 1 }
            END { if (!large) printf "%s", text; else left++
                  printf "%s: %d scenarios are too large for the target\n", FILENAME, left > "/dev/stderr" }' "$file" > "$small"
        run "$build/conformance.elf" "$3" "$small" || { echo "$file: failed" >&2; failed=yes; }
    done
    [ -z "$failed" ]
    ;;
*)
    echo "usage: target.sh BOARD build | unit | conformance usual|board" >&2
    exit 2
    ;;
esac
