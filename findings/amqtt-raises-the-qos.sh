#!/usr/bin/env bash
# amqtt 0.12.1 (a broker, PyPI): a message published at QoS 0 is delivered at QoS 2 to a subscription of QoS 2.
# MQTT 3.1.1, section 3.8.4: the QoS of a delivery is the lower of the two. mosquitto and others deliver it at QoS 0.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check amqtt==0.12.1 paho-mqtt==2.1.0
cat >"$work/case.py" <<'PY'
import asyncio, socket, sys
import paho.mqtt.client as mqtt
from amqtt.broker import Broker

ANONYMOUS = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

def client(name):
    return mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv311)

async def main():
    port, loop = free_port(), asyncio.get_running_loop()
    broker = Broker({"listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}, "plugins": ANONYMOUS})
    await broker.start()
    subscribed, delivered = loop.create_future(), loop.create_future()
    subscriber, publisher = client("subscriber"), client("publisher")
    subscriber.on_connect = lambda c, *_: c.subscribe("a/b", 2)
    subscriber.on_subscribe = lambda *_: loop.call_soon_threadsafe(subscribed.set_result, None)
    subscriber.on_message = lambda c, u, m: loop.call_soon_threadsafe(delivered.set_result, m.qos)
    for one in (subscriber, publisher):
        await loop.run_in_executor(None, one.connect, "127.0.0.1", port)
        one.loop_start()
    await asyncio.wait_for(subscribed, 20)
    publisher.publish("a/b", "x", qos=0)
    qos = await asyncio.wait_for(delivered, 20)
    for one in (subscriber, publisher):
        one.disconnect()
        one.loop_stop()
    await broker.shutdown()
    print(f"amqtt 0.12.1: published at QoS 0, subscribed at QoS 2, delivered at QoS {qos}")
    sys.exit(qos != 2)

asyncio.run(main())
PY
timeout 120 "$work/venv/bin/python" "$work/case.py" 2>"$work/log" || { echo "changed, or it did not run:"; tail -5 "$work/log"; exit 1; }
