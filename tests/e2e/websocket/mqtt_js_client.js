// MQTT.js in Node: VERSION PORT, with TLS where CA names a file. Publishes to itself at each QoS.
const fs = require("fs");
const mqtt = require("mqtt");

const [version, port] = process.argv.slice(2).map(Number);
const ca = process.env.CA && fs.readFileSync(process.env.CA);
const client = mqtt.connect(`${ca ? "wss" : "ws"}://127.0.0.1:${port}/mqtt`, {
  ca,
  clientId: `mqttjs${version}`,
  protocolVersion: version,
  reconnectPeriod: 0,
});
const heard = [];

const end = (code) => {
  console.log(`heard ${heard.length} of 9`);
  client.end(false, {}, () => process.exit(code));
};

client.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
client.on("connect", () => {
  client.subscribe("from/mqttjs/#", { qos: 2 }, () => {
    for (const qos of [0, 1, 2]) {
      for (const payload of ["small", "m".repeat(20000), "l".repeat(200000)]) {
        client.publish(`from/mqttjs/${qos}`, payload, { qos });
      }
    }
  });
});
client.on("message", (topic, payload, packet) => {
  heard.push(`${packet.qos} ${payload.length}`);
  if (heard.length === 9) {
    const expected = [0, 1, 2].flatMap((qos) => [5, 20000, 200000].map((length) => `${qos} ${length}`));
    end(heard.sort().join() === expected.sort().join() ? 0 : 1);
  }
});
setTimeout(() => end(1), 15000).unref();
