//! A message reaches the upstream with the QoS, the retain flag and the properties that its device gave it.

use tidegate_tests::device::Device;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::oracle::{Expected, Oracle, Seen};
use tidegate_tests::raw::Raw;
use tidegate_tests::sink::{Arrival, Sink};
use tidegate_tests::wire::{V5, id};

/// Messages of one device; each fourth is out of range.
const EACH: usize = 40;

const BINDINGS: &str = r#"
[plugins.plausible]
component = "plugins/threshold.wasm"
config = { field = "/celsius", min = -40.0, max = 850.0 }

[plugins.fahrenheit]
component = "plugins/convert.wasm"
[[plugins.fahrenheit.config.fields]]
path = "/celsius"
from = "celsius"
to = "fahrenheit"
decimals = 1
to_path = "/fahrenheit"

[[bindings]]
name = "temperature"
topic = "sensors/+/temperature"
plugins = ["plausible", "fahrenheit"]
to = [{ upstream = "cloud", topic = "plants/{gateway}/{topic}" }]

[[bindings]]
name = "as-it-is"
topic = "plain/#"
to = [{ upstream = "cloud" }]
"#;

#[test]
fn every_device_keeps_its_qos_towards_an_mqtt_5_upstream() {
    six_devices_through_two_plugins(5);
}

#[test]
fn every_device_keeps_its_qos_towards_an_mqtt_3_1_1_upstream() {
    six_devices_through_two_plugins(4);
}

fn six_devices_through_two_plugins(upstream_protocol: u8) {
    let upstream = Mosquitto::start();
    let sink = Sink::subscribe(upstream.address(), "plants/#");
    let gateway = Gateway::start(&format!("{}{BINDINGS}", upstream.upstream("cloud", upstream_protocol)));

    let mut oracle = Oracle::new();
    let devices = [(4, 0), (4, 1), (4, 2), (5, 0), (5, 1), (5, 2)].map(|(protocol, qos)| {
        let name = format!("v{protocol}q{qos}");
        let lines: Vec<String> = (0..EACH).map(|number| reading(&name, number, qos, &mut oracle)).collect();
        let device = Device::new(&name, gateway.address(), protocol).qos(qos);
        device.start(&format!("sensors/{name}/temperature"), &lines)
    });
    devices.into_iter().for_each(|device| device.finish());

    let obligations = oracle.obligations();
    let seen: Vec<Seen> = sink.wait_for(obligations).iter().map(seen).collect();
    oracle.judge(&seen).assert_perfect(6 * EACH * 3 / 4);
    // The last message of each device is one that is out of range: its arrival is not seen at the sink.
    gateway.expect_count("filtered", 6 * EACH - obligations);
    gateway.expect_count("forwarded", obligations);
    let counters = gateway.stop();
    assert_eq!(counters["received"] as usize, 6 * EACH);
    assert_eq!(counters["forwarded"] as usize, obligations);
    assert_eq!(counters["filtered"] as usize, 6 * EACH - obligations);
    assert_eq!(sink.arrivals().len(), obligations, "nothing came twice");
}

/// A reading as its device sends it; what is in range is expected upstream, in other units.
fn reading(device: &str, number: usize, qos: u8, oracle: &mut Oracle) -> String {
    let id = format!("{device}-{number}");
    if number % 4 == 3 {
        return format!(r#"{{"id":"{id}","celsius":900}}"#);
    }
    let topic = format!("plants/gw/sensors/{device}/temperature");
    // 1.8 (5n + 0.5) + 32: exact in one decimal.
    let payload = format!(r#"{{"id":"{id}","fahrenheit":{}.9}}"#, 9 * number + 32);
    oracle.sent(&id, device, Expected { topic, qos, payload });
    oracle.acknowledged(&id);
    format!(r#"{{"id":"{id}","celsius":{}.5}}"#, 5 * number)
}

fn seen(arrival: &Arrival) -> Seen {
    let Arrival { topic, qos, payload, .. } = arrival.clone();
    Seen { id: arrival.id(), message: Expected { topic, qos, payload } }
}

#[test]
fn the_retain_flag_is_kept() {
    let upstream = Mosquitto::start();
    let sink = Sink::subscribe(upstream.address(), "plain/#");
    let gateway = Gateway::start(&format!("{}{BINDINGS}", upstream.upstream("cloud", 5)));
    for (protocol, qos) in [(4, 0), (4, 1), (4, 2), (5, 0), (5, 1), (5, 2)] {
        let device = || Device::new("device", gateway.address(), protocol).qos(qos);
        device().retain().publish_one(&format!("plain/{protocol}/{qos}"), "kept");
        device().publish_one(&format!("plain/{protocol}/{qos}"), "passing");
    }
    for arrival in sink.wait_for(12) {
        assert_eq!(arrival.retain, arrival.payload == "kept", "{arrival:?}");
    }
    gateway.stop();
}

#[test]
fn the_properties_of_an_mqtt_5_message_travel_with_it() {
    let upstream = Mosquitto::start();
    let mut sink = Raw::clean(upstream.address(), V5, "sink");
    sink.subscribe("plain/#", 2);
    let gateway = Gateway::start(&format!("{}{BINDINGS}", upstream.upstream("cloud", 5)));
    for qos in [0, 1, 2] {
        let device = Device::new("device", gateway.address(), 5).qos(qos);
        let device = device.property(&["user-property", "unit", "celsius"]).property(&["user-property", "unit", "°C"]);
        let device = device.property(&["content-type", "text/plain"]).property(&["response-topic", "answers/1"]);
        let device = device.property(&["correlation-data", "42"]).property(&["message-expiry-interval", "3600"]);
        device.property(&["payload-format-indicator", "1"]).publish_one("plain/x", "21.5");

        let delivered = sink.expect_delivery();
        sink.acknowledge(&delivered);
        let properties = &delivered.properties;
        let unit = |value: &str| ("unit".to_owned(), value.to_owned());
        assert_eq!(properties.users(), [unit("celsius"), unit("°C")], "in order, names may repeat");
        assert_eq!(properties.string(id::CONTENT_TYPE).as_deref(), Some("text/plain"));
        assert_eq!(properties.string(id::RESPONSE_TOPIC).as_deref(), Some("answers/1"));
        assert_eq!(properties.string(id::CORRELATION_DATA).as_deref(), Some("42"));
        assert_eq!(properties.number(id::PAYLOAD_FORMAT), Some(1));
        let expiry = properties.number(id::EXPIRY).expect("the expiry interval travels too");
        assert!((3_000..=3_600).contains(&expiry), "{expiry}: the time it waited here is taken off");
        assert_eq!((delivered.qos, delivered.payload.as_str()), (qos, "21.5"));
    }
    gateway.stop();
}
