//! Listeners come, go and change; the others' connections stay.

use std::net::TcpStream;

use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::ports;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{self, Connect, DISCONNECT, V4, V5};

use super::*;

const SECOND: &str = "[broker.listeners.second]\nbind = \"127.0.0.1:0\"\n";

#[test]
fn a_new_listener_serves_and_who_is_connected_elsewhere_stays() {
    let gateway = Gateway::start("");
    let mut device = Raw::clean(gateway.address(), V5, "old");
    assert_eq!(device.subscribe("t", 1), 1);
    write(&gateway, SECOND);
    assert!(reload(&gateway).contains("changed: listener second: added at 127.0.0.1:0"));
    let mut new = Raw::clean(gateway.listener("second"), V5, "new");
    new.publish("t", "through the new one", 1);
    let delivered = device.expect_delivery();
    assert_eq!(delivered.payload, "through the new one");
    device.acknowledge(&delivered);
    gateway.stop();
}

#[test]
fn a_listener_that_is_taken_away_says_why_and_its_sessions_come_back_through_another() {
    let gateway = Gateway::start(SECOND);
    let second = gateway.listener("second");
    let mut stays = Raw::clean(gateway.address(), V5, "stays");
    let (mut leaves, _) = Raw::connect(second, &Connect::new(V5, "leaves").persistent(600));
    assert_eq!(leaves.subscribe("t", 1), 1);
    let mut old = Raw::clean(second, V4, "old");
    write(&gateway, "");
    assert!(reload(&gateway).contains("changed: listener second: taken away"));
    assert_eq!(leaves.expect(DISCONNECT).reason(), ADMINISTRATIVE_ACTION);
    assert!(leaves.expect_close().is_empty());
    assert!(old.expect_close().is_empty(), "3.1.1 has no word for it");
    soon("the port is closed", || TcpStream::connect(second).is_err());
    stays.publish("t", "meanwhile", 1);
    let (mut back, connack) = Raw::connect(gateway.address(), &Connect::new(V5, "leaves").clean(false).persistent(600));
    assert!(connack.session_present());
    let delivered = back.expect_delivery();
    assert_eq!(delivered.payload, "meanwhile");
    back.acknowledge(&delivered);
    gateway.stop();
}

#[test]
fn an_address_is_handed_over_to_another_listener_without_being_closed() {
    let port = ports::free();
    let with = |name: &str| format!("[broker.listeners.{name}]\nbind = \"127.0.0.1:{port}\"\n");
    let gateway = Gateway::start(&with("one"));
    let one = gateway.listener("one");
    let mut device = Raw::clean(one, V5, "device");
    write(&gateway, &with("other"));
    reload(&gateway);
    assert_eq!(device.expect(DISCONNECT).reason(), ADMINISTRATIVE_ACTION);
    gateway.expect_log(&["listening listener=other"]);
    let _again = Raw::clean(one, V5, "device");
    gateway.stop();
}

#[test]
fn two_listeners_exchange_their_addresses() {
    let (a, b) = (ports::free(), ports::free());
    let both = |one: u16, other: u16| {
        format!(
            "[broker.listeners.one]\nbind = \"127.0.0.1:{one}\"\n[broker.listeners.other]\nbind = \"127.0.0.1:{other}\"\n"
        )
    };
    let gateway = Gateway::start(&both(a, b));
    write(&gateway, &both(b, a));
    assert!(reload(&gateway).contains("moved from"));
    for port in [a, b] {
        Raw::clean(([127, 0, 0, 1], port).into(), V5, "device").leave();
    }
    gateway.stop();
}

#[test]
fn only_a_change_of_who_may_connect_ends_the_connections_of_a_listener_that_stays() {
    let gateway = Gateway::start(SECOND);
    let second = gateway.listener("second");
    let mut device = Raw::clean(second, V5, "device");
    write(&gateway, &format!("{SECOND}mqtt_3_1 = true\n"));
    assert!(reload(&gateway).contains("listener second: changed for new connections"));
    device.publish("t", "still there", 1);
    // Also those that came before an earlier change.
    write(&gateway, &format!("{SECOND}mqtt_3_1 = true\nclient_id = \"sensor-*\"\n"));
    assert!(reload(&gateway).contains("listener second: changed in who may connect"));
    assert_eq!(device.expect(DISCONNECT).reason(), ADMINISTRATIVE_ACTION);
    let mut refused = Raw::open(second, V5);
    refused.send(&Connect::new(V5, "device").encode());
    assert_ne!(refused.expect(wire::CONNACK).reason(), 0);
    Raw::clean(second, V5, "sensor-1").leave();
    gateway.stop();
}

#[test]
fn limits_hold_for_who_connects_from_then_on() {
    let gateway = Gateway::start("");
    let mut before = Raw::clean(gateway.address(), V5, "before");
    write(&gateway, "[broker.limits]\nmax_subscriptions_per_client = 1\nmax_connections_per_address = 2\n");
    let said = reload(&gateway);
    assert!(said.contains("changed: broker.limits.max_subscriptions_per_client"), "{said}");
    let mut after = Raw::clean(gateway.address(), V5, "after");
    for (device, granted) in [(&mut before, true), (&mut after, false)] {
        assert_eq!(device.subscribe("one", 1), 1);
        assert_eq!(device.subscribe("two", 1) == 1, granted);
    }
    // The address has two already, one of them from before.
    let mut third = Raw::open(gateway.address(), V5);
    assert!(matches!(third.next(tidegate_tests::eventually::SOON), Next::Closed));
    gateway.stop();
}
