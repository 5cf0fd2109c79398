//! Upstreams that lead back: a message goes round a few times, and becomes a dead letter.

use serde_json::Value;
use tidegate_tests::gateway::{Gateway, Home};
use tidegate_tests::ports;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{Properties, V5, publish};

/// Listens on one port, and sends everything to another.
fn config(listens: u16, sends: u16) -> String {
    format!(
        "[broker.listeners.ring]\nbind = \"127.0.0.1:{listens}\"\n\n[upstreams.next]\nurl = \"mqtt://127.0.0.1:{sends}\"\n\n\
         [[bindings]]\nname = \"all\"\ntopic = \"#\"\nto = [{{ upstream = \"next\" }}]\n"
    )
}

fn only_letter(gateway: &Gateway) -> Value {
    gateway.expect_letters(1);
    let finished = gateway.home().spool("export", &["--dead-letters"]);
    serde_json::from_str(finished.out.trim()).expect("one JSON line")
}

fn assert_is_of_a_ring(letter: &Value) {
    let text = letter["facts"].to_string();
    assert!(text.contains("crossed 8 gateways") && text.contains("tidegate-hops"), "{letter}");
    assert_eq!(letter["message"]["properties"]["user"], serde_json::json!([["a", "b"], ["tidegate-hops", "8"]]));
}

fn publish_one(gateway: &Gateway) {
    let mut device = Raw::clean(gateway.address(), V5, "device");
    device.send(&publish(V5, "t", "x").qos(1, 7).with(Properties::new().user("a", "b")).encode());
    device.finish_publish(1, 7);
}

#[test]
fn a_gateway_that_is_its_own_upstream_is_seen_by_check_and_its_messages_go_round_eight_times() {
    let port = ports::free();
    let config = config(port, port);
    let finished = Home::new(&config).tidegate("check", &["--offline"]);
    assert!(finished.err.contains("the upstream `next` is this gateway"), "{finished:?}");
    let gateway = Gateway::start(&config);
    publish_one(&gateway);
    assert_is_of_a_ring(&only_letter(&gateway));
    let counters = gateway.stop();
    assert_eq!((counters["forwarded"], counters["received"], counters["hop_limit_exceeded"]), (8, 9, 1));
}

#[test]
fn a_message_between_two_gateways_that_feed_each_other_is_a_dead_letter_after_eight_crossings() {
    let (one, other) = (ports::free(), ports::free());
    let gateways = [Gateway::start(&config(one, other)), Gateway::start(&config(other, one))];
    publish_one(&gateways[0]);
    assert_is_of_a_ring(&only_letter(&gateways[0]));
    for gateway in gateways {
        assert_eq!(gateway.stop()["forwarded"], 4);
    }
}
