//! rumqttd as an upstream: a broker that somebody else wrote, in this process.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use tidegate_tests::eventually::{SOON, eventually, soon};
use tidegate_tests::gateway::Gateway;
use tidegate_tests::ports;
use tidegate_tests::raw::{Next, Raw};

use tidegate_tests::wire::{self, Connect, Properties, V4, V5, Version, publish};

const MESSAGES: u16 = 30;

#[test]
fn rumqttd_gets_what_is_forwarded_in_both_versions() {
    let [v4, v5] = [ports::free(), ports::free()].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    start(v4, v5);
    for (protocol, version, address) in [(4, V4, v4), (5, V5, v5)] {
        soon("rumqttd listens", || Raw::try_open(address, version).is_some());
        let mut watcher = eventually("rumqttd takes a subscriber", SOON, || subscriber(address, version));
        let config = format!(
            "[upstreams.cloud]\nurl = \"mqtt://{address}\"\nprotocol = {protocol}\n\
             [[bindings]]\nname = \"up\"\ntopic = \"site/#\"\nto = [{{ upstream = \"cloud\" }}]\n"
        );
        let gateway = Gateway::start(&config);
        let mut device = Raw::clean(gateway.address(), V5, "device");
        for number in 1..=MESSAGES {
            device.send(&publish(V5, "site/x", number.to_string()).qos(1, number).encode());
            device.finish_publish(1, number);
        }
        for number in 1..=MESSAGES {
            let heard = watcher.expect_delivery();
            assert_eq!((heard.topic.as_str(), heard.payload.as_str()), ("site/x", number.to_string().as_str()));
            watcher.acknowledge(&heard);
        }
        gateway.stop();
    }
}

/// None when it closes instead: rumqttd does so now and then on a busy machine. It takes no client without keep-alive.
fn subscriber(address: SocketAddr, version: Version) -> Option<Raw> {
    let mut raw = Raw::try_open(address, version)?;
    raw.send(&Connect::new(version, "watcher").keep_alive(60).encode());
    let next = |raw: &mut Raw, kind| matches!(raw.next(SOON), Next::Packet(packet) if packet.kind() == kind);
    if !next(&mut raw, wire::CONNACK) {
        return None;
    }
    raw.send(&wire::subscribe(version, 1, &Properties::new(), &[("site/#", 1)]));
    next(&mut raw, wire::SUBACK).then_some(raw)
}

/// It has no end of its own, and ends with the tests.
fn start(v4: SocketAddr, v5: SocketAddr) {
    let router = RouterConfig {
        max_connections: 10,
        max_outgoing_packet_count: 200,
        max_segment_size: 1 << 20,
        max_segment_count: 10,
        ..RouterConfig::default()
    };
    let config = Config { router, v4: Some(server("v4", v4)), v5: Some(server("v5", v5)), ..Config::default() };
    std::thread::spawn(|| drop(Broker::new(config).start()));
}

fn server(name: &str, listen: SocketAddr) -> HashMap<String, ServerSettings> {
    let connections = ConnectionSettings {
        connection_timeout_ms: 60_000,
        max_payload_size: 1 << 16,
        max_inflight_count: 100,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let settings = ServerSettings { name: name.into(), listen, tls: None, next_connection_delay_ms: 1, connections };
    HashMap::from([(name.to_owned(), settings)])
}
