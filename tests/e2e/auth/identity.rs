//! A client identifier, and the session under it, belong to a user.

use tidegate_tests::gateway::{Gateway, Launch};
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{Connect, V4, V5, Version, id};

use super::*;

const ANN: (&str, &str) = ("ann", "a");
const BOB: (&str, &str) = ("bob", "b");

fn connect(version: Version, client: &str, (user, password): (&str, &str)) -> Connect {
    Connect::new(version, client).user(user, password).persistent(600)
}

fn not_authorized(version: Version) -> u8 {
    if version == V5 { 0x87 } else { 5 }
}

#[test]
fn nobody_takes_over_the_session_of_another_user_while_it_is_connected_away_or_after_a_crash() {
    let mut gateway = asking("", &[ANN, BOB]);
    let mut ann = Raw::connect(gateway.address(), &connect(V5, "device", ANN)).0;
    ann.subscribe("t", 1);
    let mut publisher = Raw::connect(gateway.address(), &connect(V5, "publisher", BOB)).0;
    let assert_refused = |gateway: &Gateway| {
        for version in [V4, V5] {
            for clean in [false, true] {
                let code = reason(gateway, &connect(version, "device", BOB).clean(clean));
                assert_eq!(code, not_authorized(version), "{version:?}, clean: {clean}");
            }
        }
    };
    assert_refused(&gateway);
    ann.expect_quiet();
    drop(ann);
    gateway.expect_departure("device");
    publisher.publish("t", "for ann", 1);
    assert_refused(&gateway);
    gateway.crash();
    assert_refused(&gateway);
    let (mut ann, connack) = Raw::connect(gateway.address(), &connect(V5, "device", ANN));
    assert!(connack.session_present());
    assert_eq!(ann.expect_delivery().payload, "for ann");
    let sessions = gateway.home().tidegate("sessions", &[]).out;
    assert!(sessions.contains("device of ann: connected"), "{sessions}");
}

#[test]
fn a_session_that_has_ended_leaves_its_identifier_to_others() {
    let gateway = asking("", &[ANN, BOB]);
    drop(Raw::connect(gateway.address(), &Connect::new(V5, "device").user(ANN.0, ANN.1)));
    gateway.expect_departure("device");
    assert_eq!(reason(&gateway, &connect(V5, "device", BOB)), 0);
}

#[test]
fn the_pattern_of_a_listener_says_which_identifiers_are_whose() {
    let gateway = asking("client_id = \"{user}-*\"", &[ANN, BOB, ("b+/#*", "w")]);
    for (user, client, expected) in [
        (ANN, "ann-1", 0),
        (ANN, "ann-", 0),
        (ANN, "bob-1", 0x87),
        (ANN, "ann", 0x87),
        (ANN, "xann-1", 0x87),
        (("b+/#*", "w"), "b+/#*-1", 0),
        (("b+/#*", "w"), "bob-1", 0x87),
    ] {
        assert_eq!(reason(&gateway, &connect(V5, client, user)), expected, "{user:?} {client}");
    }
    assert_eq!(reason(&gateway, &connect(V4, "bob-1", ANN)), 5);
    let (_, connack) = Raw::connect(gateway.address(), &Connect::new(V5, "").user(ANN.0, ANN.1));
    let assigned = connack.connack_properties().string(id::ASSIGNED_CLIENT_ID).unwrap_or_default();
    assert!(assigned.starts_with("ann-auto-"), "{assigned}");
}

#[test]
fn a_session_from_before_passwords_goes_to_the_user_that_comes_for_it_and_to_no_other_after_that() {
    let home = home("");
    let config = home.path().join("gateway.toml");
    let with = std::fs::read_to_string(&config).unwrap();
    let without = with.replace("auth = \"password\"", "").replace("passwords =", "#");
    std::fs::write(&config, without).unwrap();
    for (name, password) in [ANN, BOB] {
        mosquitto_passwd(home.path(), name, password, "sha512-pbkdf2");
    }
    let gateway = Gateway::launch(&home, &Launch::default());
    let mut device = Raw::connect(gateway.address(), &Connect::new(V5, "device").persistent(600)).0;
    device.subscribe("t", 1);
    drop(device);
    gateway.expect_departure("device");
    Raw::clean(gateway.address(), V5, "publisher").publish("t", "waiting", 1);
    let stopped = gateway.stop_and_keep();
    std::fs::write(&config, with).unwrap();
    let gateway = stopped.start_again();
    let (mut ann, connack) = Raw::connect(gateway.address(), &connect(V5, "device", ANN));
    assert!(connack.session_present());
    assert_eq!(ann.expect_delivery().payload, "waiting");
    assert_eq!(reason(&gateway, &connect(V5, "device", BOB)), 0x87);
}
