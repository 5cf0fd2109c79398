#!/usr/bin/env bash
# aedes 1.2.0 (a broker, npm): a client that connects with Clean Session 0 and only publishes is told Session Present 0 at each return, although the
# broker has kept its QoS 2 state: the same identifier, sent again, is recognised and reaches a subscriber once. One subscription, to any filter, and the
# answer is 1. MQTT 3.1.1, 3.2.2.2 and [MQTT-3.2.2-2]: a server that has stored session state answers 1, and subscriptions are only one part of it
# (3.1.2.4). A client that believes the 0 has to forget its exchange, and publishes again as new what the broker already has.
set -euo pipefail
work=$(mktemp -d); broker=
trap '[ -z "$broker" ] || kill "$broker"; rm -rf "$work"' EXIT
cd "$work"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund aedes@1.2.0 >/dev/null
cat >broker.js <<'JS'
const { Aedes } = require('aedes')
Aedes.createBroker().then((broker) => {
  const server = require('net').createServer(broker.handle)
  server.listen(0, '127.0.0.1', () => console.log(server.address().port))
})
JS
node broker.js >port & broker=$!
for _ in $(seq 100); do [ -s port ] && break; sleep 0.1; done
cat >case.py <<'PY'
import socket, struct, sys

PORT = int(open("port").read())
PUBLISH, PUBREC, PUBREL, PUBCOMP = 3, 5, 6, 7

def string(text):
    return struct.pack(">H", len(text)) + text.encode()

class Client:
    def __init__(self, name, clean):
        self.socket = socket.create_connection(("127.0.0.1", PORT), 10)
        self.stream = self.socket.makefile("rb")
        self.send(0x10, string("MQTT") + bytes([4, 2 if clean else 0, 0, 60]) + string(name))
        self.session_present = self.read()[1][0]

    def send(self, first, body):
        self.socket.sendall(bytes([first, len(body)]) + body)

    def read(self):
        first, length = self.stream.read(2)
        return first >> 4, self.stream.read(length)

    def subscribe(self, topic):
        self.send(0x82, b"\x00\x01" + string(topic) + b"\x02")
        assert self.read()[0] == 9

    def publish(self, text, duplicate):
        self.send(0x34 | duplicate << 3, string("line/1") + b"\x00\x07" + text)
        assert self.read() == (PUBREC, b"\x00\x07")

    def release(self):
        self.send(0x62, b"\x00\x07")
        assert self.read()[0] in (PUBREC, PUBCOMP)

    def payloads_until(self, last):
        """Every payload that arrives, up to `last`; at QoS 2, as it was published."""
        seen = []
        while last not in seen:
            kind, body = self.read()
            if kind == PUBLISH:
                topic = struct.unpack(">H", body[:2])[0]
                self.send(0x50, body[2 + topic : 4 + topic])
                seen.append(body[4 + topic :])
            elif kind == PUBREL:
                self.send(0x70, body)
        return seen

def returns(name, also_subscribes):
    """Session Present of a client that left between PUBREC and PUBREL, and what a subscriber got of its one message."""
    watcher = Client("watcher-" + name, clean=True)
    watcher.subscribe("line/#")
    first = Client(name, clean=False)
    if also_subscribes:
        first.subscribe("unused")
    first.publish(b"once", duplicate=False)
    first.socket.close()
    again = Client(name, clean=False)
    again.publish(b"once", duplicate=True)
    again.release()
    again.publish(b"last", duplicate=False)
    again.release()
    return again.session_present, watcher.payloads_until(b"last")

publisher, subscriber = returns("publisher", False), returns("subscriber", True)
print(f"aedes 1.2.0: publishes only: session present {publisher[0]}, delivered {publisher[1]}")
print(f"aedes 1.2.0: subscribed too: session present {subscriber[0]}, delivered {subscriber[1]}")
sys.exit((publisher, subscriber) != ((0, [b"once", b"last"]), (1, [b"once", b"last"])))
PY
python3 case.py
