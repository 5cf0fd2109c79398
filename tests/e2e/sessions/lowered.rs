//! Limits that are lower than they were: what was acknowledged under the old ones stays.

use std::fs;

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, Connect, PUBACK, V5};

use super::talker;

#[test]
fn what_waits_beyond_lowered_limits_is_kept_and_said_at_the_start() {
    let gateway = Gateway::start("");
    let connect = Connect::new(V5, "sleeper").persistent(600);
    let (mut sleeper, _) = Raw::connect(gateway.address(), &connect);
    sleeper.subscribe("t", 1);
    sleeper.leave();
    gateway.expect_departure("sleeper");
    let mut talker = talker(&gateway);
    (0..10).for_each(|number| talker.publish("t", &number.to_string(), 1));
    for number in 0..5 {
        retain(&mut talker, number, "old");
    }
    let stopped = gateway.stop_and_keep();
    let file = stopped.home().path().join("gateway.toml");
    let config = fs::read_to_string(&file).unwrap();
    let limits =
        "\n[broker.limits]\nmax_queued_messages = 3\nmax_queued_bytes = \"1280B\"\nmax_retained_messages = 2\n";
    fs::write(&file, config + limits).unwrap();

    let gateway = stopped.start_again();
    gateway.expect_log(&["more waits for sessions than broker.limits.max_queued_* now allows", "sessions=1"]);
    gateway.expect_log(&["more is retained than broker.limits.max_retained_* now allows", "messages=3"]);
    let (mut sleeper, _) = Raw::connect(gateway.address(), &connect);
    for number in 0..10 {
        let heard = sleeper.expect_delivery();
        assert_eq!(heard.payload, number.to_string());
        sleeper.acknowledge(&heard);
    }
    // A topic that is there may be given another value; a new one has no room.
    let mut talker = super::talker(&gateway);
    retain(&mut talker, 0, "new");
    retain(&mut talker, 5, "new");
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe("r/#", 0);
    for payload in ["new", "old", "old", "old", "old"] {
        assert_eq!(listener.expect_delivery().payload, payload);
    }
    assert_eq!(gateway.stop()["retained_refused"], 1);
}

fn retain(talker: &mut Raw, number: u16, payload: &str) {
    let packet_id = 1_000 + number;
    let version = talker.version();
    talker.send(&wire::publish(version, &format!("r/{number}"), payload).qos(1, packet_id).retain().encode());
    assert_eq!(talker.expect(PUBACK).packet_id(), packet_id);
}
