"""paho over WebSocket: VERSION PORT, with TLS where CA names a file. Publishes to itself at each QoS."""

import os
import sys
import threading

import paho.mqtt.client as mqtt

version, port = int(sys.argv[1]), int(sys.argv[2])
heard, everything = [], threading.Event()
client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2,
    client_id=f"paho{version}",
    transport="websockets",
    protocol=mqtt.MQTTv5 if version == 5 else mqtt.MQTTv311,
)
client.ws_set_options(path="/mqtt")
if "CA" in os.environ:
    client.tls_set(ca_certs=os.environ["CA"])


def on_connect(client, userdata, flags, reason, properties):
    assert not reason.is_failure, reason
    client.subscribe("from/paho/#", qos=2)


def on_subscribe(client, userdata, mid, reasons, properties):
    for qos in range(3):
        for payload in ["small", "m" * 20_000, "l" * 200_000]:
            client.publish(f"from/paho/{qos}", payload, qos=qos)


def on_message(client, userdata, message):
    heard.append((message.qos, len(message.payload)))
    if len(heard) == 9:
        everything.set()


client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
client.connect("127.0.0.1", port)
client.loop_start()
everything.wait(15)
client.disconnect()
client.loop_stop()
print(f"heard {len(heard)} of 9")
sys.exit(0 if sorted(heard) == sorted((qos, length) for qos in range(3) for length in [5, 20_000, 200_000]) else 1)
