//! The same ACL files in mosquitto's hands and in ours: what clients may publish and receive, asked over the network.
//!
//! Known differences, of which none is among these: a client identifier with `/` in it, or with `$` where a topic begins, fills no place of
//! a `pattern` here; and a SUBSCRIBE of which no topic may be received is refused here, where mosquitto grants it and delivers nothing.

use std::net::SocketAddr;

use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, CONNACK, PUBACK, V5};

use super::*;

const TOPICS: [&str; 12] =
    ["a", "a/b", "a/b/c", "a/c1", "a/c1/x", "c1", "c1/a", "of/c1/x", "of/c2/x", "of/c1", "$x/a", "of/xc1"];

const CLIENTS: [&str; 4] = ["c1", "c2", "c+", "#"];

/// Rule kinds x what they grant x wildcards x places, alone and against one another.
const FILES: [&str; 22] = [
    "",
    "topic a",
    "topic read a/b\ntopic write a/#",
    "topic readwrite a/+\ntopic deny a/b",
    "topic deny a/b\ntopic readwrite #",
    "topic read #\ntopic deny #",
    "topic readwrite +/b\ntopic write $x/#",
    "topic readwrite #\ntopic readwrite $x/#",
    "pattern of/%c/#",
    "pattern read of/%c/#\npattern write a/%c",
    "pattern readwrite %c/#",
    "pattern readwrite %c",
    "pattern write of/x%c",
    "pattern deny of/%c/#\npattern readwrite of/#",
    "pattern readwrite of/#\npattern deny of/+/x",
    "pattern readwrite of/%u/x",
    "topic deny of/c1/x\npattern readwrite of/%c/#",
    "topic readwrite of/c1/x\npattern deny of/%c/#",
    "topic readwrite a\npattern read $x/a",
    "user somebody\ntopic readwrite #\npattern read a/#",
    "topic read a/#\nuser somebody\ntopic deny a/#",
    "# a comment\n\n   topic   readwrite   a/b/c   \npattern   readwrite   c1",
];

/// Which of the topics the client may publish, and which it gets below two wildcards.
type Rights = (Vec<&'static str>, Vec<String>);

fn rights(broker: SocketAddr, writer: SocketAddr, client: &str) -> Rights {
    rights_of(Raw::clean(broker, V5, client), writer)
}

fn rights_of(mut device: Raw, writer: SocketAddr) -> Rights {
    let may_publish = |device: &mut Raw, topic: &str| {
        device.send(&wire::publish(V5, topic, "own").qos(1, 1).encode());
        // mosquitto says 0x10 where nobody subscribes.
        device.expect(PUBACK).reason() < 0x80
    };
    let published = TOPICS.into_iter().filter(|topic| may_publish(&mut device, topic)).collect();
    for filter in ["#", "$x/#"] {
        device.subscribe(filter, 1);
    }
    let mut writer = Raw::clean(writer, V5, "writer");
    TOPICS.iter().for_each(|topic| writer.publish(topic, "x", 1));
    (published, heard(&mut device))
}

/// With a user name, which mosquitto takes as it is where it asks for no password.
fn as_user(broker: SocketAddr, user: &str, client: &str) -> Raw {
    let text = |text: &str| [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat();
    let body = [text("MQTT"), vec![5, 0x82, 0, 0, 0], text(client), text(user)].concat();
    let mut device = Raw::open(broker, V5);
    device.send(&wire::packet(0x10, &body));
    assert_eq!(device.expect(CONNACK).reason(), 0);
    device
}

/// The same by what `tidegate explain` says.
fn explained(home: &Home, user: &str, client: &str) -> Rights {
    let is_allowed = |action: &str, topic: &str| {
        let words = ["--as", user, "--client", client, "--format", "json", action, topic];
        let finished = home.tidegate("explain", &words);
        let said: serde_json::Value = serde_json::from_str(&finished.out).expect("an answer");
        said["allowed"] == true
    };
    let allowed = |action: &'static str| TOPICS.into_iter().filter(move |topic| is_allowed(action, topic));
    (allowed("publish").collect(), allowed("subscribe").map(str::to_owned).collect())
}

#[test]
fn clients_may_do_what_they_may_do_at_mosquitto_and_nothing_else() {
    let mut allowed = 0;
    for acl in FILES {
        let gateway = start(acl);
        let mosquitto = Mosquitto::with_acl(acl);
        for client in CLIENTS {
            let theirs = rights(mosquitto.address(), mosquitto.second_address(), client);
            let ours = rights(gateway.address(), gateway.address(), client);
            assert_eq!(ours, theirs, "ours, then mosquitto's, of {client:?} by\n{acl}");
            allowed += ours.0.len() + ours.1.len();
        }
        gateway.stop();
    }
    assert!(allowed > 100, "the files allow something: {allowed}");
}

#[test]
fn files_that_mosquitto_does_not_take_are_not_taken() {
    for acl in [
        "user",
        "topic",
        "pattern",
        "topic rw a",
        "topic read a/#/b",
        "pattern a+",
        "users a",
        "topic a b",
        "topic\tread a",
    ] {
        let home = Home::new(PEOPLE);
        fs::write(home.path().join("acl"), acl).unwrap();
        assert_eq!(home.tidegate("check", &[]).code, Some(78), "{acl:?}");
        assert!(!Mosquitto::takes_acl(acl), "{acl:?}");
    }
}

#[test]
fn users_may_do_what_they_may_do_at_mosquitto_and_nothing_else() {
    let files = [
        "topic a\nuser ann\ntopic read a/#\nuser bob\ntopic write a/b",
        "user ann\ntopic readwrite #\nuser bob\ntopic deny a/b\nuser ann\ntopic deny a/#",
        "pattern of/%u/#\nuser c1\ntopic deny of/c1/x\ntopic write a",
        "pattern read a/%u\npattern write %u/a\npattern deny a/%u/x\npattern readwrite a/#",
        "user c1 \ntopic read of/x%c\npattern write of/x%u\npattern read of/x%u",
    ];
    let mut allowed = 0;
    for acl in files {
        let mosquitto = Mosquitto::with_acl(acl);
        let home = Home::new(PEOPLE);
        fs::write(home.path().join("acl"), acl).unwrap();
        for user in ["ann", "bob", "c1", "c+"] {
            let device = as_user(mosquitto.address(), user, "dev");
            let theirs = rights_of(device, mosquitto.second_address());
            let ours = explained(&home, user, "dev");
            assert_eq!(ours, theirs, "ours, then mosquitto's, of {user:?} by\n{acl}");
            allowed += ours.0.len() + ours.1.len();
        }
    }
    assert!(allowed > 30, "the files allow something: {allowed}");
}
