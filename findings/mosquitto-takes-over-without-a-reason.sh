#!/usr/bin/env bash
# mosquitto 2.0.11 (Debian 12): a client of MQTT 5 whose identifier connects a second time is closed without a DISCONNECT, where MQTT 5 [MQTT-3.1.4-3] wants
# one with reason 0x8E (Session taken over) first. Of a packet
# that is too large the same broker does tell the reason (0x95), so it is not that none are sent.
set -euo pipefail
work=$(mktemp -d); broker=
trap '[ -z "$broker" ] || kill "$broker" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq mosquitto=2.0.11-1.2+deb12u2 libdlt2=2.18.8-6 libwrap0=7.6.q-32 libwebsockets17=4.1.6-3 libcjson1 libev4 libuv1 2>/dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
export LD_LIBRARY_PATH="$work/root/usr/lib/$(uname -m)-linux-gnu:$work/root/lib/$(uname -m)-linux-gnu"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'listener %s 127.0.0.1\nallow_anonymous true\nmax_packet_size 100\n' "$port" >conf
root/usr/sbin/mosquitto -c conf 2>log & broker=$!
cat >case.py <<'PY'
import socket, struct, sys, time

PORT = int(sys.argv[1])

def connected(name):
    for _ in range(100):
        try:
            peer = socket.create_connection(("127.0.0.1", PORT), 10)
            break
        except OSError:
            time.sleep(0.1)
    body = struct.pack(">H", 4) + b"MQTT" + bytes([5, 0, 0, 60]) + b"\x05\x11\x00\x00\x00\xff" + struct.pack(">H", len(name)) + name
    peer.sendall(bytes([0x10, len(body)]) + body)
    assert peer.recv(1)[0] == 0x20
    peer.recv(peer.recv(1)[0])
    return peer

def rest(peer):
    seen = b""
    while more := peer.recv(100):
        seen += more
    return seen

first, second = connected(b"gateway"), connected(b"gateway")
taken_over = rest(first)
second.sendall(b"\x30\x80\x01")  # the fixed header of a PUBLISH of 131 bytes
too_large = rest(second)
version = next(line for line in open("log") if "version" in line).split("version ")[1].split()[0]
print(f"mosquitto {version}: taken over: {taken_over.hex(' ') or 'nothing'}; too large: {too_large.hex(' ') or 'nothing'}")
sys.exit((version, taken_over, too_large[:1], too_large[2:3]) != ("2.0.11", b"", b"\xe0", b"\x95"))
PY
python3 case.py "$port"
