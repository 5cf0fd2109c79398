//! Rules and passwords hold at once, for who is connected as well.

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, PUBACK, V5};

use super::*;

const RULE: &str = "[[access.rules]]\npublish = [\"allowed/#\"]\nsubscribe = [\"#\"]\n";

fn publishes(device: &mut Raw, topic: &str) -> bool {
    device.send(&wire::publish(V5, topic, "x").qos(1, 77).encode());
    device.expect(PUBACK).reason() != NOT_AUTHORIZED
}

#[test]
fn rules_that_come_change_and_go_hold_for_who_is_connected() {
    let gateway = Gateway::start("");
    let mut device = Raw::clean(gateway.address(), V5, "device");
    assert!(publishes(&mut device, "other/t"));
    write(&gateway, RULE);
    assert!(reload(&gateway).contains("there were none: what no rule allows is denied from now on"));
    assert!(!publishes(&mut device, "other/t") && publishes(&mut device, "allowed/t"));
    write(&gateway, &RULE.replace("allowed", "other"));
    reload(&gateway);
    assert!(publishes(&mut device, "other/t") && !publishes(&mut device, "allowed/t"));
    write(&gateway, "");
    reload(&gateway);
    assert!(publishes(&mut device, "other/t") && publishes(&mut device, "allowed/t"));
    gateway.stop();
}

#[test]
fn another_acl_file_takes_the_place_of_the_first_and_is_the_one_that_is_watched() {
    let gateway = Gateway::start("");
    let file = |name: &str, text: &str| std::fs::write(gateway.home().path().join(name), text).expect("a file");
    file("first", "topic readwrite a/#\n");
    file("second", "topic readwrite b/#\n");
    let mut device = Raw::clean(gateway.address(), V5, "device");
    for (name, allowed) in [("first", "a/t"), ("second", "b/t")] {
        write(&gateway, &format!("[access]\nacl_file = \"{name}\"\n"));
        reload(&gateway);
        for topic in ["a/t", "b/t"] {
            assert_eq!(publishes(&mut device, topic), topic == allowed, "{name}: {topic}");
        }
    }
    file("first", "topic readwrite #\n");
    file("second", "topic readwrite c/#\n");
    gateway.expect_log(&["access rules are read again", "second"]);
    assert!(publishes(&mut device, "c/t") && !publishes(&mut device, "d/t"));
    assert_eq!(gateway.log().count(|line| line.contains("are read again") && line.contains("first")), 0);
    gateway.stop();
}

#[test]
fn passwords_are_asked_for_at_a_listener_that_was_added_and_another_file_sends_away_who_is_not_in_it() {
    let gateway = Gateway::start("");
    let hash = |name: &str| {
        let mut command = std::process::Command::new("mosquitto_passwd");
        command.args(["-H", "sha512-pbkdf2", "-c", "-b", name, name, "secret"]).current_dir(gateway.home().path());
        let finished = tidegate_tests::process::finish("mosquitto_passwd", &mut command);
        assert_eq!(finished.code, Some(0), "{finished:?}");
    };
    ["ann", "bob"].iter().for_each(|name| hash(name));
    let asking = |file: &str| {
        format!(
            "[broker.listeners.asking]\nbind = \"127.0.0.1:0\"\nauth = \"password\"\n[access]\npasswords = \"{file}\"\n[[access.rules]]\npublish = [\"#\"]\n"
        )
    };
    write(&gateway, &asking("ann"));
    reload(&gateway);
    let connect = |name: &str| wire::Connect::new(V5, name).user(name, "secret");
    let address = gateway.listener("asking");
    let (mut ann, connack) = Raw::connect(address, &connect("ann"));
    assert_eq!(connack.reason(), 0);
    write(&gateway, &asking("bob"));
    let said = reload(&gateway);
    assert!(said.contains("access.passwords: another file"), "{said}");
    assert_eq!(ann.expect(wire::DISCONNECT).reason(), NOT_AUTHORIZED);
    assert_eq!(Raw::connect(address, &connect("bob")).1.reason(), 0);
    gateway.stop();
}
