#!/bin/sh
# Builds the firmware of a board, prints its table of flash and RAM, and with --run boots it in the emulator:
#
#     boards/build.sh BOARD [--tls FOLDER] [--run [PORT]] [--quiet]
#
# The images are build/firmware/BOARD/midge.elf and midge.bin. PORT is the host's port that leads to the board's 1883.
# With --tls they are in build/firmware/BOARD-tls, have the keys of FOLDER inside (boards/README.md), and serve on port 8883.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
board=${1:-}
if [ ! -e "$root/boards/$board/board.cmake" ] || [ -z "$board" ]; then
    echo "usage: boards/build.sh BOARD [--tls FOLDER] [--run [PORT]] [--quiet], where BOARD is one of:" >&2
    for file in "$root"/boards/*/board.cmake; do
        echo "    $(basename "$(dirname "$file")")" >&2
    done
    exit 2
fi
shift
run= quiet= port= keys= serves=1883 build=$root/build/firmware/$board
while [ $# -gt 0 ]; do
    case $1 in
    --run) run=yes ;;
    --quiet) quiet=yes ;;
    --tls)
        shift
        keys=$(cd "${1:?--tls wants the folder of the keys}" && pwd)
        serves=8883 build=$root/build/firmware/$board-tls
        ;;
    [0-9]*) port=$1 ;;
    *) echo "build.sh: what is \"$1\"?" >&2; exit 2 ;;
    esac
    shift
done

port=${port:-$serves}
"$root/boards/fetch.sh" lwip ${keys:+mbedtls}
mkdir -p "$build"
if [ ! -e "$build/build.ninja" ] || [ -n "$keys" ]; then
    cmake -S "$root/boards" -B "$build" -G Ninja -DBOARD="$board" -DBOARD_KEYS="$keys" \
        -DLWIP_DIR="$root/build/third-party/lwip" -DCMAKE_TOOLCHAIN_FILE="$root/boards/toolchain.cmake" \
        > "$build.log" 2>&1 || { cat "$build.log" >&2; exit 1; }
fi
ninja -C "$build" > "$build.log" 2>&1 || { cat "$build.log" >&2; exit 1; }
[ -n "$quiet" ] || cat "$build/midge.txt"
[ -n "$run" ] || exit 0
emulator=$(sed -n 's/^emulator=//p' "$build/board.txt")
if [ -z "$emulator" ]; then
    echo "build.sh: $board has no emulator" >&2
    exit 2
fi

cat <<END

$board in the emulator; its port $serves is 127.0.0.1:$port. Once it says "listening":

    mosquitto_sub -p $port ${keys:+(--cafile FILE, or --psk KEY --psk-identity NAME) }-t 'test/#' -v
    mosquitto_pub -p $port ${keys:+(likewise) }-t test/hello -m world

p shows the pools. Ctrl-A X ends QEMU.

END
# shellcheck disable=SC2086 # a command with its arguments
exec $emulator -nographic -kernel "$build/midge.elf" \
    -nic "user,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:$port-:$serves"
