#!/usr/bin/env bash
# gmqtt 0.7.0 (a client, PyPI): a QoS 1 PUBLISH that was not acknowledged is sent again after the reconnect with DUP 0.
# MQTT 3.1.1 [MQTT-3.3.1-1]: DUP must be 1 when a PUBLISH is sent again. paho and MQTT.js set it.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check gmqtt==0.7.0
cat >"$work/case.py" <<'PY'
import asyncio, sys
from gmqtt import Client
from gmqtt.mqtt.constants import MQTTv311

CONNECT, PUBLISH, DISCONNECT, DUP = 1, 3, 14, 0x08
connections = []

async def read_packet(reader):
    first, length, shift = (await reader.readexactly(1))[0], 0, 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return first, await reader.readexactly(length)

async def serve(reader, writer, done):
    """A server that closes on its first PUBLISH and acknowledges the next."""
    connections.append([])
    is_first = len(connections) == 1
    try:
        while True:
            first, body = await read_packet(reader)
            if first >> 4 == CONNECT:
                writer.write(b"\x20\x02" + (b"\x00" if is_first else b"\x01") + b"\x00")
            elif first >> 4 == PUBLISH:
                connections[-1].append((bool(first & DUP), body))
                if is_first:
                    return writer.close()
                topic = int.from_bytes(body[:2], "big")
                writer.write(b"\x40\x02" + body[2 + topic : 4 + topic])
                done.set()
            elif first >> 4 == DISCONNECT:
                return
    except asyncio.IncompleteReadError:
        pass

async def main():
    done = asyncio.Event()
    server = await asyncio.start_server(lambda r, w: serve(r, w, done), "127.0.0.1", 0)
    client = Client("device", clean_session=False)
    client.set_config({"reconnect_retries": 5, "reconnect_delay": 1})
    await client.connect("127.0.0.1", server.sockets[0].getsockname()[1], version=MQTTv311)
    client.publish("a", "x", qos=1)
    await asyncio.wait_for(done.wait(), 30)
    (dup_before, before), (dup_after, after) = connections[0][0], connections[1][0]
    await client.disconnect()
    server.close()
    print(f"gmqtt 0.7.0: the same packet again: {before == after}; DUP first {dup_before}, then {dup_after}")
    sys.exit(not (before == after and not dup_before and not dup_after))

asyncio.run(main())
PY
timeout 120 "$work/venv/bin/python" "$work/case.py" 2>"$work/log" || { echo "changed, or it did not run:"; tail -5 "$work/log"; exit 1; }
