//! What plugins remember survives whatever happens to the gateway, and is never ahead of or behind what they put out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use tidegate_tests::eventually::{SOON, soon};
use tidegate_tests::gateway::{Gateway, Home};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::sink::{Arrival, Sink};
use tidegate_tests::wire::{self, PUBACK, PUBCOMP, PUBREC, PUBREL, V4, V5};

const COUNTING: &str = "[plugins.counting]\ncomponent = \"plugins/counting.wasm\"\n";

/// Every message is counted in `all`, every second one also in `some`: their lanes have to wait for each other.
const TWO_COUNTS: &str = r#"
[[bindings]]
name = "all"
topic = "load/+"
plugins = ["counting"]
to = [{ upstream = "cloud", topic = "up/all" }]

[[bindings]]
name = "some"
topic = "load/even"
plugins = ["counting"]
to = [{ upstream = "cloud", topic = "up/some" }]
"#;

const WINDOW: usize = 20;

/// A device that sends what has no ack again after a crash, and nothing else: with new packet identifiers, in a new session.
struct Device {
    raw: Raw,
    qos: u8,
    sent: usize,
    next_id: u16,
    inflight: BTreeMap<u16, usize>,
    acknowledged: BTreeSet<usize>,
}

impl Device {
    fn new(gateway: &Gateway, qos: u8) -> Self {
        let raw = Raw::clean(gateway.address(), V5, "device");
        Self { raw, qos, sent: 0, next_id: 0, inflight: BTreeMap::new(), acknowledged: BTreeSet::new() }
    }

    fn send(&mut self, number: usize) {
        self.next_id += 1;
        let topic = if number.is_multiple_of(2) { "load/even" } else { "load/odd" };
        let publish = wire::publish(V5, topic, format!(r#"{{"id":"d-{number}"}}"#)).qos(self.qos, self.next_id);
        self.raw.send(&publish.encode());
        self.inflight.insert(self.next_id, number);
    }

    /// Sends until so many are acknowledged in all. Others are under way then.
    fn drive(&mut self, acknowledged: usize) {
        while self.acknowledged.len() < acknowledged {
            while self.inflight.len() < WINDOW {
                self.send(self.sent);
                self.sent += 1;
            }
            self.listen();
        }
    }

    fn listen(&mut self) {
        let Next::Packet(packet) = self.raw.next(SOON) else { panic!("no ack came") };
        match packet.kind() {
            PUBREC => self.raw.send(&wire::ack(PUBREL, packet.packet_id())),
            PUBACK | PUBCOMP => self.acknowledged.extend(self.inflight.remove(&packet.packet_id())),
            kind => panic!("unexpected packet of type {kind}"),
        }
    }

    fn reconnect(&mut self, gateway: &Gateway) {
        self.raw = Raw::clean(gateway.address(), V5, "device");
        let again: Vec<usize> = std::mem::take(&mut self.inflight).into_values().collect();
        again.into_iter().for_each(|number| self.send(number));
    }

    fn finish(&mut self) {
        while !self.inflight.is_empty() {
            self.listen();
        }
    }
}

/// A gateway with an upstream, and who listens there.
fn forwarding(config: &str) -> (Mosquitto, Sink, Gateway) {
    let upstream = Mosquitto::start();
    let sink = Sink::subscribe(upstream.address(), "up/#");
    let gateway = Gateway::start(&format!("{}{config}", upstream.upstream("cloud", 5)));
    (upstream, sink, gateway)
}

fn field<'a>(arrival: &Value, name: &'a str) -> &'a str {
    assert!(arrival.get(name).is_some(), "no `{name}` in {arrival}");
    name
}

/// The payloads of each number of a topic, as often as they arrived.
fn by_number(arrivals: &[Arrival], topic: &str, number: impl Fn(&Value) -> u64) -> BTreeMap<u64, Vec<String>> {
    let mut found: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for arrival in arrivals.iter().filter(|arrival| arrival.topic == topic) {
        let json: Value = serde_json::from_str(&arrival.payload).expect(&arrival.payload);
        found.entry(number(&json)).or_default().push(arrival.payload.clone());
    }
    found
}

fn seq(json: &Value) -> u64 {
    json[field(json, "seq")].as_u64().expect("a number")
}

/// From 1 without a gap, each with one payload; at QoS 2, once.
fn assert_counted(found: &BTreeMap<u64, Vec<String>>, qos: u8) {
    let gap = (1..).zip(found.keys()).find(|(expected, number)| expected != *number);
    assert_eq!(gap, None, "a number that never arrived, of {}", found.len());
    for (number, payloads) in found {
        assert!(payloads.iter().all(|payload| payload == &payloads[0]), "{number} was given twice: {payloads:?}");
        assert!(qos < 2 || payloads.len() == 1, "{number} came {} times", payloads.len());
    }
}

/// The ids behind the numbers.
fn ids(found: &BTreeMap<u64, Vec<String>>) -> BTreeSet<String> {
    let id =
        |payload: &String| serde_json::from_str::<Value>(payload).expect("JSON")["id"].as_str().unwrap().to_owned();
    found.values().map(|payloads| id(&payloads[0])).collect()
}

fn numbers_survive_kills(qos: u8) {
    let (_upstream, sink, mut gateway) = forwarding(&[COUNTING, TWO_COUNTS].concat());
    let mut device = Device::new(&gateway, qos);
    for acknowledged in [137, 251, 252, 489, 600] {
        device.drive(acknowledged);
        gateway.crash();
        device.reconnect(&gateway);
    }
    device.drive(700);
    device.finish();
    Raw::clean(gateway.address(), V5, "last").publish("load/even", r#"{"id":"last"}"#, qos);

    let last = |arrivals: &[Arrival]| arrivals.iter().filter(|arrival| arrival.payload.contains("last")).count();
    soon("the last message at the sink", || last(&sink.arrivals()) >= 2);
    let arrivals = sink.arrivals();
    let (all, some) = (by_number(&arrivals, "up/all", seq), by_number(&arrivals, "up/some", seq));
    assert_counted(&all, qos);
    assert_counted(&some, qos);
    let (all, some) = (ids(&all), ids(&some));
    for number in &device.acknowledged {
        let id = format!("d-{number}");
        assert!(all.contains(&id), "{id} was acknowledged and not counted");
        assert!(number % 2 == 1 || some.contains(&id), "{id} was acknowledged and not counted by both");
    }
    assert!(device.acknowledged.len() >= 700);
}

#[test]
fn a_plugin_that_counts_at_qos_1_never_repeats_nor_skips_a_number_whatever_kills_the_gateway() {
    numbers_survive_kills(1);
}

#[test]
fn a_plugin_that_counts_at_qos_2_never_repeats_nor_skips_a_number_whatever_kills_the_gateway() {
    numbers_survive_kills(2);
}

#[test]
fn what_a_message_at_qos_0_or_one_that_is_filtered_changed_is_there_after_a_kill() {
    let local = r#"
[[bindings]]
name = "count"
topic = "in"
plugins = ["counting"]
to = [{ local = true, topic = "out" }]
"#;
    let mut gateway = Gateway::start(&format!("{COUNTING}{local}"));
    let mut device = Raw::clean(gateway.address(), V4, "device");
    for number in 0..10 {
        device.publish("in", "drop", if number == 9 { 1 } else { 0 });
    }
    gateway.crash();
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe("out", 0);
    Raw::clean(gateway.address(), V4, "device").publish("in", "how many", 1);
    assert_eq!(listener.expect_delivery().payload, "11");
}

#[test]
fn a_plugin_that_hoards_state_fails_its_message_and_harms_nothing() {
    let config = r#"
[plugins.counting]
component = "plugins/counting.wasm"
limits = { state = "64KiB" }

[[bindings]]
name = "count"
topic = "in"
plugins = ["counting"]
to = [{ local = true, topic = "out" }]
dead_letter_topic = "out"
"#;
    let mut gateway = Gateway::start(config);
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe("out", 0);
    let mut device = Raw::clean(gateway.address(), V4, "device");
    for vice in ["hoard", "panic", "refuse", "hoard"] {
        device.publish("in", vice, 1);
        let letter = listener.expect_delivery();
        let users = letter.properties.users();
        let detail =
            users.iter().find(|user| user.0 == "tidegate-detail").map(|user| user.1.as_str()).unwrap_or_default();
        let expected = match vice {
            "hoard" => "raise `limits.state`",
            "panic" => "panicked at",
            _ => "after the count",
        };
        assert!(detail.contains(expected), "{vice}: {detail}");
    }
    device.publish("in", "keys", 1);
    assert_eq!(listener.expect_delivery().payload, "n");
    device.publish("in", "how many", 1);
    assert_eq!(listener.expect_delivery().payload, "2", "a call that failed does not count");
    gateway.assert_alive();
    assert_eq!(gateway.stop()["failed"], 4);
}

#[test]
fn what_a_clock_makes_arrives_and_is_numbered_without_gap_over_a_kill() {
    let ticking = r#"
[[bindings]]
name = "clock"
topic = "in"
plugins = ["counting"]
tick = "100ms"
to = [{ upstream = "cloud", topic = "up/{topic}" }]
"#;
    let (_upstream, sink, mut gateway) = forwarding(&[COUNTING, ticking].concat());
    for arrived in [5, 10] {
        sink.wait_for(arrived);
        gateway.crash();
    }
    sink.wait_for(15);
    let tick = |json: &Value| json[field(json, "id")].as_str().and_then(|id| id.strip_prefix("tick-")?.parse().ok());
    let arrivals = sink.arrivals();
    assert_counted(&by_number(&arrivals, "up/ticks", |json| tick(json).expect("a tick")), 1);
    let counters = gateway.stop();
    assert!(counters["ticks"] > 0 && counters["ticks_failed"] == 0);
}

#[test]
fn a_window_has_every_reading_that_was_acknowledged_also_when_the_gateway_is_killed_in_its_middle() {
    let window = r#"
[plugins.second]
component = "plugins/window.wasm"
config = { field = "/v", qos = 2 }

[[bindings]]
name = "seconds"
topic = "in/+"
plugins = ["second"]
tick = "1s"
to = [{ upstream = "cloud", topic = "up/{topic}" }]
"#;
    let (_upstream, sink, mut gateway) = forwarding(window);
    for _ in 0..3 {
        let mut device = Raw::clean(gateway.address(), V4, "device");
        for number in 1..=10 {
            device.publish("in/a", &format!(r#"{{"v":{number}}}"#), 2);
        }
        gateway.crash();
    }
    let count = || {
        let summaries = sink.arrivals();
        let of = |arrival: &Arrival| serde_json::from_str::<Value>(&arrival.payload).expect("JSON");
        summaries.iter().map(|arrival| of(arrival)["count"].as_u64().expect("a count")).sum::<u64>()
    };
    soon("all readings in summaries", || count() >= 30);
    assert_eq!(count(), 30);
    assert!(sink.arrivals().iter().all(|arrival| arrival.topic == "up/in/a/window" && arrival.qos == 2));
    gateway.stop();
}

#[test]
fn a_clock_or_a_memory_that_cannot_be_is_refused_with_what_to_do() {
    let binding = |plugins: &str, more: &str| {
        format!(
            "[[bindings]]\nname = \"b\"\ntopic = \"in\"\nplugins = {plugins}\nto = [{{ local = true, topic = \"o\" }}]\n{more}\n"
        )
    };
    let threshold = "[plugins.threshold]\ncomponent = \"plugins/threshold.wasm\"\nconfig = { min = 0.0 }\n";
    let greedy = format!("{COUNTING}limits = {{ state = \"16MiB\" }}\n[spool]\nmax_bytes = \"64MiB\"\n");
    let cases = [
        (
            format!("{threshold}{}", binding("[\"threshold\"]", "tick = \"1s\"")),
            "none of its plugins (`threshold`) exports `timer`",
        ),
        (format!("{COUNTING}{}", binding("[\"counting\", \"counting\"]", "")), "has plugin `counting` twice"),
        (format!("{greedy}{}", binding("[\"counting\"]", "")), "this spool carries 8.0 MiB"),
        (binding("[]", "tick = \"1s\""), "`tick` has no effect in a binding without plugins"),
    ];
    for (config, expected) in cases {
        let refused = Home::new(&config).tidegate("check", &[]);
        assert_eq!(refused.code, Some(78), "{refused:?}");
        assert!(format!("{}{}", refused.out, refused.err).contains(expected), "{refused:?}");
    }
}

#[test]
fn a_rehearsal_lets_time_pass() {
    let config = r#"
[plugins.minute]
component = "plugins/window.wasm"

[[bindings]]
name = "minutes"
topic = "in/+"
plugins = ["minute"]
tick = "1m"
to = [{ local = true, topic = "out/{topic}" }]
"#;
    let home = Home::new(config);
    let lines = "[in/a] 1\nwait 59s\n[in/a] 3\nwait 1s\nwait 3m\n[in/a] 5\nwait 60s\n";
    std::fs::write(home.path().join("lines"), lines).expect("a file");
    let done = home.tidegate("test", &["lines"]);
    let counts: Vec<_> = done.out.lines().map(|line| line.contains(r#""count":2"#)).collect();
    assert_eq!((done.code, counts), (Some(0), vec![true, false]), "{done:?}");
    assert!(done.out.contains(r#""mean":2.0"#) && done.err.contains("minutes: by its timer, to local"), "{done:?}");
}
