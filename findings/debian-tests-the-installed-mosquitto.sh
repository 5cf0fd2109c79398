#!/usr/bin/env bash
# mosquitto 2.0.11-1.2+deb12u2, Debian bookworm's source package: its conformance tests start /usr/sbin/mosquitto, and not the broker that was
# built beside them. `make test` in that tree says how good the installed broker is, whatever was built. The tests of the upstream archive, the
# `.orig.tar.gz` of the same package, start `../../src/mosquitto`.
set -euo pipefail
version=2.0.11-1.2+deb12u2
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir -p lists/partial cache/archives/partial
echo "deb-src http://deb.debian.org/debian bookworm main" >sources.list
options=(-qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$work/lists"
  -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=)
apt-get "${options[@]}" update
apt-get "${options[@]}" source --download-only "mosquitto=$version"

# A broker that was "built": it says that it was started, and ends.
started_the_built_one() {
  mkdir -p "$1/src"
  printf '#!/bin/sh\ntouch "%s"\n' "$work/started" >"$1/src/mosquitto"
  chmod +x "$1/src/mosquitto"
  rm -f "$work/started"
  test -f "$1/test/broker/01-connect-success.py"
  (cd "$1/test/broker" && timeout 60 python3 ./01-connect-success.py >/dev/null 2>&1) || true
  if [ -e "$work/started" ]; then echo yes; else echo no; fi
}

tar xf mosquitto_2.0.11.orig.tar.gz
mv mosquitto-2.0.11 upstream
cp -r upstream debian
tar xf "mosquitto_$version.debian.tar.xz" -C debian
while read -r patch; do patch -s -p1 -d debian <"debian/debian/patches/$patch"; done <debian/debian/patches/series

seen="upstream's tests start the built broker: $(started_the_built_one upstream); Debian's: $(started_the_built_one debian)"
echo "mosquitto $version: $seen"
[ "$seen" = "upstream's tests start the built broker: yes; Debian's: no" ]
