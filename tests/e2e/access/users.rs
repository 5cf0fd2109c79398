//! Rules for users: by the name that a password has proved, and never by one that is only said.

use std::process::Command;

use tidegate_tests::process::finish;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, Connect, PUBACK, V5, Will};

use super::*;

const CONFIG: &str = r#"
[gateway]
id = "gw"
data_dir = "data"

[broker.listeners.local]
bind = "127.0.0.1:0"
auth = "password"

[broker.listeners.nameless]
bind = "127.0.0.1:0"

[access]
passwords = "users.passwd"
acl_file = "acl"

[[access.rules]]
who = { user = "sensor-*" }
publish = ["sensors/{user}/#"]
subscribe = ["commands/{user}/#"]
"#;

const ACL: &str = "user ann\ntopic readwrite #\nuser eve\ntopic read commands/eve\n";

fn home() -> Arc<Home> {
    let home = Home::exactly(CONFIG);
    fs::write(home.path().join("acl"), ACL).unwrap();
    fs::write(home.path().join("users.passwd"), "").unwrap();
    for user in ["sensor-1", "sensor-2", "ann", "eve", "+", "sensor-#"] {
        let mut command = Command::new("mosquitto_passwd");
        let args = ["-H", "sha512-pbkdf2", "-b", "users.passwd", user, "secret"];
        let finished = finish("mosquitto_passwd", command.args(args).current_dir(home.path()));
        assert_eq!(finished.code, Some(0), "{finished:?}");
    }
    Arc::new(home)
}

fn known(client: &str, user: &str) -> Connect {
    Connect::new(V5, client).user(user, "secret")
}

fn is_let(device: &mut Raw, topic: &str) -> bool {
    device.send(&wire::publish(V5, topic, "x").qos(1, 9).encode());
    match device.expect(PUBACK).reason() {
        NOT_AUTHORIZED => false,
        reason => reason < 0x80,
    }
}

#[test]
fn each_has_the_place_of_its_own_name_whatever_it_calls_itself() {
    let gateway = Gateway::launch(&home(), &Launch::default());
    for (client, user, topic, is) in [
        ("c", "sensor-1", "sensors/sensor-1/t", true),
        ("sensor-2", "sensor-1", "sensors/sensor-2/t", false),
        ("c", "sensor-2", "sensors/sensor-1/t", false),
        ("c", "ann", "sensors/sensor-1/t", true),
        ("c", "eve", "sensors/eve/t", false),
        ("c", "sensor-#", "sensors/x/t", false),
        ("c", "+", "sensors/x/t", false),
    ] {
        let (mut device, _) = Raw::connect(gateway.address(), &known(client, user));
        assert_eq!(is_let(&mut device, topic), is, "{client} {user} {topic}");
        device.leave();
    }
    let (mut eve, _) = Raw::connect(gateway.address(), &known("eve", "eve"));
    assert_eq!((eve.subscribe("#", 1), eve.subscribe("commands/sensor-1/#", 1)), (1, NOT_AUTHORIZED));
    let (mut ann, _) = Raw::connect(gateway.address(), &known("ann", "ann"));
    ann.publish("commands/sensor-1/on", "x", 1);
    ann.publish("commands/eve", "x", 1);
    expect_topics(&mut eve, &["commands/eve"]);
    gateway.stop();
}

#[test]
fn a_name_that_is_only_said_is_nobodys() {
    let gateway = Gateway::launch(&home(), &Launch::default());
    let nameless = gateway.log().find(|line| {
        let (_, rest) = line.split_once("listening listener=nameless")?;
        rest.split_once("address=")?.1.split_whitespace().next()?.parse().ok()
    });
    let (mut device, _) = Raw::connect(nameless.expect("it listens"), &known("ann", "ann"));
    assert!(!is_let(&mut device, "x"));
    assert_eq!(device.subscribe("#", 0), NOT_AUTHORIZED);
    gateway.stop();
}

#[test]
fn after_a_restart_a_session_and_a_will_are_still_of_their_user() {
    let mut gateway = Gateway::launch(&home(), &Launch::default());
    let (mut device, _) = Raw::connect(gateway.address(), &known("dev", "sensor-1").persistent(600));
    assert_eq!(device.subscribe("#", 1), 1);
    device.leave();
    gateway.expect_departure("dev");
    let will = Will::new("sensors/sensor-2/gone", "x").qos(1).retain();
    let (mut other, _) = Raw::connect(gateway.address(), &known("other", "sensor-2").will(will));
    // Retained: what is acknowledged is in the log then, and the will, which came before it, too.
    other.send(&wire::publish(V5, "sensors/sensor-2/on", "x").qos(1, 9).retain().encode());
    other.finish_publish(1, 9);
    gateway.crash();
    let (mut ann, _) = Raw::connect(gateway.address(), &known("ann", "ann"));
    assert_eq!(ann.subscribe("sensors/+/gone", 1), 1);
    ann.publish("commands/sensor-2/on", "x", 1);
    ann.publish("commands/sensor-1/on", "x", 1);
    let (mut device, connack) = Raw::connect(gateway.address(), &known("dev", "sensor-1").persistent(600));
    assert!(connack.session_present());
    expect_topics(&mut device, &["commands/sensor-1/on"]);
    expect_topics(&mut ann, &["sensors/sensor-2/gone"]);
    gateway.stop();
}
