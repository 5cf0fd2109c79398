//! `$SYS/broker/…` as mosquitto has it: compared with a real one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidegate_tests::eventually::{SOON, soon};
use tidegate_tests::gateway::{Gateway, Home, Launch, address};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{self, Connect, PUBLISH, V4, V5, publish};

const OFTEN: &str = "[broker]\nsys_interval = \"1s\"\n";

/// Who reads them, and what it has read last of each.
struct Watcher {
    raw: Raw,
    values: BTreeMap<String, String>,
}

impl Watcher {
    fn new(broker: SocketAddr) -> Self {
        let mut raw = Raw::clean(broker, V4, "watcher");
        raw.send(&wire::subscribe(V4, 1, &wire::Properties::new(), &[("$SYS/#", 0)]));
        Self { raw, values: BTreeMap::new() }
    }

    fn read(&mut self, patience: Duration) {
        while let Next::Packet(packet) = self.raw.next(patience) {
            if packet.kind() == PUBLISH {
                let delivered = packet.delivered(V4);
                self.values.insert(delivered.topic, delivered.payload);
            }
        }
    }

    fn wait(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        soon(what, || {
            self.read(Duration::from_millis(100));
            condition(self)
        });
    }

    fn number(&self, topic: &str) -> Option<u64> {
        self.values.get(&format!("$SYS/broker/{topic}"))?.parse().ok()
    }
}

fn mosquitto() -> Mosquitto {
    let mut mosquitto = Mosquitto::start();
    mosquitto.restart_with("sys_interval 1\n");
    mosquitto
}

/// The same to both: a session that waits with three subscriptions, two retained messages, one that somebody hears.
fn traffic(broker: SocketAddr) {
    let persistent = Connect::new(V5, "away").persistent(600);
    let (mut away, _) = Raw::connect(broker, &persistent);
    for filter in ["a", "b/#", "$share/g/c"] {
        away.subscribe(filter, 1);
    }
    away.leave();
    let mut device = Raw::clean(broker, V4, "device");
    device.subscribe("heard", 0);
    for topic in ["r1", "r2"] {
        device.send(&publish(V4, topic, "retained").retain().qos(1, 9).encode());
        device.finish_publish(1, 9);
    }
    device.publish("heard", "12345", 0);
    assert_eq!(device.expect_delivery().payload, "12345");
    device.leave();
}

/// `2.0.11` and `0.1.0` are versions, `0.00` and `12.30` are averages: each run of digits is one.
fn shape(value: &str) -> String {
    let mut shape = String::new();
    for character in value.replace("mosquitto", "tidegate").chars() {
        let character = if character.is_ascii_digit() { '9' } else { character };
        if character != '9' || !shape.ends_with('9') {
            shape.push(character);
        }
    }
    shape
}

#[test]
fn each_topic_is_one_of_mosquittos_with_a_value_of_the_same_kind() {
    let (gateway, mosquitto) = (Gateway::start(OFTEN), mosquitto());
    let mut shapes = [gateway.address(), mosquitto.address()].map(|broker| {
        traffic(broker);
        let mut watcher = Watcher::new(broker);
        // Which come when there is something to tell.
        watcher.wait("the topics that change", |of| {
            of.number("clients/maximum").is_some() && of.values.contains_key("$SYS/broker/load/connections/15min")
        });
        watcher.values.into_iter().map(|(topic, value)| (topic, shape(&value))).collect::<BTreeMap<_, _>>()
    });
    shapes[1].retain(|topic, _| !topic.starts_with("$SYS/broker/heap/"));
    assert!(shapes[0].len() > 40, "{shapes:?}");
    assert_eq!(shapes[0], shapes[1], "ours and mosquitto's");
    gateway.stop();
}

#[test]
fn they_count_what_mosquitto_counts() {
    const SAME: [&str; 11] = [
        "clients/total",
        "clients/connected",
        "clients/disconnected",
        "clients/active",
        "clients/inactive",
        "subscriptions/count",
        "shared_subscriptions/count",
        "publish/bytes/received",
        "messages/received",
        "bytes/received",
        "publish/messages/dropped",
    ];
    let (gateway, mosquitto) = (Gateway::start(OFTEN), mosquitto());
    let counts = [gateway.address(), mosquitto.address()].map(|broker| {
        let mut watcher = Watcher::new(broker);
        watcher.wait("the first numbers", |of| of.number("clients/connected") == Some(1));
        let own = watcher.number("retained messages/count").expect("a number");
        traffic(broker);
        // Of the three messages of the device.
        watcher.wait("the numbers behind the traffic", |of| {
            of.number("publish/bytes/received") == Some(2 * 8 + 5)
                && of.number("clients/connected") == Some(1)
                && of.number("clients/total") == Some(2)
        });
        let retained = watcher.number("retained messages/count").expect("a number");
        assert!(retained >= own + 2, "{retained} {own}");
        (watcher.number("publish/messages/received"), SAME.map(|topic| (topic, watcher.number(topic))))
    });
    // mosquitto 2.0 leaves out those with RETAIN and those of QoS 2, which its manual does not say.
    let [(publishes, counts), (_, mosquittos)] = counts;
    assert_eq!(publishes, Some(3));
    assert_eq!(counts, mosquittos, "ours and mosquitto's");
    assert!(counts.iter().all(|(_, count)| count.is_some()), "{counts:?}");
    gateway.stop();
}

/// To all in one packet: what comes of the first must not be in the way of the second.
fn subscribe(raw: &mut Raw, filters: &[&str]) {
    let filters: Vec<(&str, u8)> = filters.iter().map(|filter| (*filter, 0)).collect();
    raw.send(&wire::subscribe(V5, 1, &wire::Properties::new(), &filters));
    raw.expect(wire::SUBACK);
}

#[test]
fn only_what_has_changed_is_told_and_only_to_who_asks_for_it() {
    let gateway = Gateway::start(OFTEN);
    let mut all = Raw::clean(gateway.address(), V5, "all");
    all.subscribe("#", 0);
    let mut watcher = Raw::clean(gateway.address(), V5, "watcher");
    subscribe(&mut watcher, &["$SYS/broker/version", "$SYS/broker/uptime"]);
    let (mut versions, mut uptimes) = (Vec::new(), Vec::new());
    while uptimes.len() < 4 {
        let delivered = watcher.expect_delivery();
        let of = if delivered.topic.ends_with("version") { &mut versions } else { &mut uptimes };
        of.push((delivered.retain, delivered.payload));
    }
    assert_eq!(versions.len(), 1);
    assert!(versions[0].0 && versions[0].1.starts_with("tidegate version "), "{versions:?}");
    assert!(uptimes[1..].iter().all(|(retain, _)| !retain), "{uptimes:?}");
    all.expect_quiet();
    gateway.stop();
}

#[test]
fn nobody_publishes_there_and_the_limits_of_retained_messages_are_not_used_up() {
    let gateway = Gateway::start(&format!("{OFTEN}[broker.limits]\nmax_retained_messages = 1\n"));
    let mut device = Raw::clean(gateway.address(), V5, "device");
    device.send(&publish(V5, "$SYS/broker/uptime", "never").retain().qos(1, 1).encode());
    assert_eq!(device.expect(wire::PUBACK).reason(), 0x87);
    for topic in ["kept", "too/many"] {
        device.send(&publish(V5, topic, "x").retain().encode());
    }
    device.subscribe("kept", 0);
    assert_eq!(device.expect_delivery().payload, "x");
    device.subscribe("too/many", 0);
    device.subscribe("$SYS/broker/uptime", 0);
    assert!(device.expect_delivery().payload.ends_with(" seconds"));
    assert_eq!(gateway.stop()["acl_denied"], 1);
}

#[test]
fn a_binding_that_names_them_gets_them_and_one_for_everything_does_not() {
    let binding = |name: &str, filter: &str| {
        format!(
            "[[bindings]]\nname = \"{name}\"\ntopic = \"{filter}\"\nto = [{{ local = true, topic = \"{name}\" }}]\n"
        )
    };
    let gateway =
        Gateway::start(&format!("{OFTEN}{}{}", binding("named", "$SYS/broker/uptime"), binding("all", "+/broker/#")));
    let mut watcher = Raw::clean(gateway.address(), V5, "watcher");
    subscribe(&mut watcher, &["named", "all"]);
    for _ in 0..3 {
        let delivered = watcher.expect_delivery();
        assert_eq!(delivered.topic, "named");
        assert!(delivered.payload.ends_with(" seconds"));
    }
    gateway.stop();
}

#[test]
fn where_the_network_reaches_only_a_rule_lets_anybody_read_them() {
    let open = "[broker.listeners.lan]\nbind = \"0.0.0.0:0\"\nallow_insecure = true\n";
    let acl = "[access]\nacl_file = \"acl\"\n";
    for (config, allowed) in [(format!("{OFTEN}{open}"), false), (format!("{OFTEN}{open}{acl}"), true)] {
        let home = Arc::new(Home::new(&config));
        std::fs::write(home.path().join("acl"), "topic read $SYS/#\n").expect("a file");
        let gateway = Gateway::launch(&home, &Launch::default());
        gateway.expect_log(&["listening listener=lan"]);
        let lan = gateway.log().find(|line| line.contains("listening listener=lan").then(|| address(line)).flatten());
        let lan = SocketAddr::from(([127, 0, 0, 1], lan.expect("its address").port()));
        let mut watcher = Raw::clean(lan, V5, "watcher");
        let answers = ["$SYS/#", "$SYS/broker/+", "$share/g/$SYS/#"].map(|filter| {
            watcher.send(&wire::subscribe(V5, 1, &wire::Properties::new(), &[(filter, 0)]));
            loop {
                match watcher.next(SOON) {
                    Next::Packet(packet) if packet.kind() == wire::SUBACK => return packet.codes(V5)[0],
                    Next::Packet(_) => {}
                    other => panic!("an answer, not {other:?}"),
                }
            }
        });
        assert_eq!(answers, if allowed { [0; 3] } else { [0x87; 3] });
        gateway.stop();
    }
}

#[test]
fn they_can_be_switched_off_and_nothing_of_them_is_kept() {
    let gateway = Gateway::start(OFTEN);
    Watcher::new(gateway.address()).wait("the first numbers", |of| of.number("clients/connected").is_some());
    let stopped = gateway.stop_and_keep();
    let path = stopped.home().path().join("gateway.toml");
    let config = std::fs::read_to_string(&path).expect("the configuration");
    std::fs::write(&path, config.replace("\"1s\"", "\"0s\"")).expect("the configuration");
    let gateway = stopped.start_again();
    let mut watcher = Raw::clean(gateway.address(), V5, "watcher");
    watcher.subscribe("$SYS/#", 0);
    watcher.expect_quiet();
    gateway.stop();
}
