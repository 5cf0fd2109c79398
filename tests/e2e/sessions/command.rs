//! `tidegate sessions`.

use tidegate_tests::binary;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::process::Finished;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{Connect, V5, Will};

use super::{listener, talker};

pub fn sessions(gateway: &Gateway, args: &[&str]) -> Finished {
    binary::run(&[&["sessions"], args, &["-c", "gateway.toml"]].concat(), gateway.home().path())
}

pub fn drop_session(gateway: &Gateway, client: &str) {
    let finished = sessions(gateway, &["drop", client]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

fn list(gateway: &Gateway) -> Vec<serde_json::Value> {
    let finished = sessions(gateway, &["--format", "json"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    serde_json::from_str(&finished.out).unwrap()
}

#[test]
fn sessions_are_listed_with_what_waits_for_them() {
    let gateway = Gateway::start("");
    let (mut away, _) = Raw::connect(gateway.address(), &Connect::new(V5, "a\u{7}way").persistent(600));
    away.subscribe("t", 1);
    away.subscribe("u", 1);
    away.leave();
    gateway.expect_departure("a\u{7}way");
    let mut talker = talker(&gateway);
    talker.publish("t", "one", 1);
    talker.publish("t", "two", 2);
    let listed = list(&gateway);
    let clients: Vec<_> = listed.iter().map(|session| session["client"].as_str().unwrap()).collect();
    assert_eq!(clients, ["a\u{7}way", "talker"]);
    let of = |name: &str| (listed[0][name].as_u64(), listed[1][name].as_u64());
    assert_eq!((&listed[0]["connected"], &listed[1]["connected"]), (&false.into(), &true.into()));
    assert_eq!(of("subscriptions"), (Some(2), Some(0)));
    assert_eq!(of("queued_messages"), (Some(2), Some(0)));
    assert_eq!(of("expiry_seconds"), (Some(600), Some(0)));
    assert!(listed[0]["ends_at_ms"].as_u64() > listed[0]["since_ms"].as_u64() && listed[1]["ends_at_ms"].is_null());
    let text = sessions(&gateway, &[]).out;
    assert!(text.starts_with(r"a\u{7}way: away for "), "{text}");
    assert!(text.contains("2 subscriptions, 2 messages queued"), "{text}");
    gateway.stop();
}

#[test]
fn a_session_that_is_dropped_publishes_its_will_and_is_gone() {
    let gateway = Gateway::start("");
    let mut listener = listener(&gateway, "gone", 0);
    let connect = Connect::new(V5, "device").persistent(600).will(Will::new("gone", "device"));
    for is_connected in [true, false] {
        let (mut device, connack) = Raw::connect(gateway.address(), &connect);
        assert!(!connack.session_present());
        device.subscribe("t", 1);
        if !is_connected {
            device.leave();
            gateway.expect_departure("device");
        }
        drop_session(&gateway, "device");
        if is_connected {
            assert_eq!(listener.expect_delivery().payload, "device");
        }
        assert!(list(&gateway).iter().all(|session| session["client"] != "device"));
    }
    listener.expect_quiet();
    gateway.stop();
}

#[test]
fn an_unknown_session_is_an_error_that_says_where_to_look() {
    let gateway = Gateway::start("");
    let finished = sessions(&gateway, &["drop", "nobody"]);
    assert_eq!(finished.code, Some(1));
    assert!(finished.err.contains("no session of the client \"nobody\"; `tidegate sessions` shows"), "{finished:?}");
    let home = gateway.stop_and_keep();
    let finished = binary::run(&["sessions", "-c", "gateway.toml"], home.home().path());
    assert!(finished.code == Some(1) && finished.err.contains("no gateway runs on"), "{finished:?}");
}
