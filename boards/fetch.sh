#!/bin/sh
# Unpacks Debian's source packages, at Debian's versions, into build/third-party/NAME: fetch.sh lwip cmocka. What is there
# already is left alone. apt checks the signatures; its lists stay in the build folder, so that the system's are not touched.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
folder=$root/build/third-party
mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial"
cd "$folder"
exec 9>lock
flock 9

cat > apt/debian.sources <<END
Types: deb-src
URIs: http://deb.debian.org/debian
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END

apt_get() {
    apt-get -qq -o Dir::Etc::SourceList="$folder/apt/debian.sources" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$folder/apt/lists" -o Dir::Cache="$folder/apt/cache" -o APT::Sandbox::User=root "$@"
}

updated=
for name in "$@"; do
    [ -e "$name/.complete" ] && continue
    if [ -z "$updated" ]; then
        apt_get update
        updated=yes
    fi
    rm -rf "$name" "$name.unpack"
    mkdir "$name.unpack"
    (cd "$name.unpack" && apt_get source "$name" > apt.log 2>&1) || { cat "$name.unpack/apt.log" >&2; exit 1; }
    mv "$name.unpack/$name"-*/ "$name"
    rm -rf "$name.unpack"
    touch "$name/.complete"
done
