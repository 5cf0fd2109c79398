//! What a member of a group did not get goes to another one when its session ends (MQTT 5, section 4.8.2).

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{Connect, DISCONNECT, Properties, V5, id, packet};

use super::command::drop_session;
use super::talker;

const GROUP: &str = "$share/group/work";
const WORK: [(&str, u8); 5] = [("1", 1), ("2", 2), ("3", 1), ("4", 2), ("5", 1)];

/// A member with a session that has been sent the first two, and acknowledges nothing.
fn busy(gateway: &Gateway) -> Raw {
    let connect = Connect::new(V5, "busy").persistent(600).with(|properties| properties.short(id::RECEIVE_MAXIMUM, 2));
    let (mut busy, _) = Raw::connect(gateway.address(), &connect);
    busy.subscribe(GROUP, 2);
    let mut talker = talker(gateway);
    WORK.iter().for_each(|(payload, qos)| talker.publish("work", payload, *qos));
    for (payload, _) in &WORK[..2] {
        assert_eq!(busy.expect_delivery().payload, *payload);
    }
    busy
}

fn expect_the_rest(other: &mut Raw) {
    let heard = ["1", "3", "4", "5"].map(|payload| {
        let heard = other.expect_delivery();
        assert_eq!((heard.payload.as_str(), heard.dup), (payload, false));
        heard
    });
    heard.iter().for_each(|heard| other.acknowledge(heard));
    other.expect_quiet();
}

fn stop(gateway: Gateway) {
    let counters = gateway.stop();
    let counted = (counters["shared_handed_over"], counters["shared_dropped"]);
    assert_eq!(counted, (4, 1), "QoS 2 that was sent is for nobody else [MQTT-4.8.2-5]");
}

#[test]
fn a_session_that_ends_leaves_its_work_to_another_member() {
    for how in ["disconnect", "clean start", "operator"] {
        let gateway = Gateway::start("");
        let mut busy = busy(&gateway);
        let mut other = Raw::clean(gateway.address(), V5, "other");
        other.subscribe(GROUP, 2);
        match how {
            "disconnect" => {
                let properties = Properties::new().long(id::SESSION_EXPIRY, 0).encode();
                busy.send(&packet(DISCONNECT << 4, &[&[0], &properties[..]].concat()));
            }
            "clean start" => {
                drop(busy);
                drop(Raw::clean(gateway.address(), V5, "busy"));
            }
            _ => {
                drop_session(&gateway, "busy");
                let reason = busy.expect_close().last().map(|packet| packet.reason());
                assert_eq!(reason, Some(0x98), "administrative action");
            }
        }
        expect_the_rest(&mut other);
        stop(gateway);
    }
}

#[test]
fn what_was_handed_over_survives_a_crash() {
    let mut gateway = Gateway::start("");
    let busy = busy(&gateway);
    let connect = Connect::new(V5, "other").persistent(600);
    let (mut other, _) = Raw::connect(gateway.address(), &connect);
    other.subscribe(GROUP, 2);
    drop(busy);
    drop(Raw::clean(gateway.address(), V5, "busy"));
    // The first of them is there, and with it all that was written before it was sent.
    assert_eq!(other.expect_delivery().payload, "1");
    // What a device is sent is safe: the last of them too, when it has come.
    for payload in ["3", "4", "5"] {
        assert_eq!(other.expect_delivery().payload, payload);
    }
    gateway.crash();
    let (mut other, connack) = Raw::connect(gateway.address(), &connect);
    assert!(connack.session_present());
    for payload in ["1", "3", "4", "5"] {
        let heard = other.expect_delivery();
        assert_eq!((heard.payload.as_str(), heard.dup), (payload, true));
    }
    gateway.stop();
}
