//! The same ACL files in mosquitto's hands and in ours: what clients may publish and receive, asked over the network.
//!
//! Known differences, of which none is among these: a client identifier with `/` in it, or with `$` where a topic begins, fills no place of
//! a `pattern` here; and a SUBSCRIBE of which no topic may be received is refused here, where mosquitto grants it and delivers nothing.

use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, PUBACK, V5};

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

fn rights(broker: std::net::SocketAddr, writer: std::net::SocketAddr, client: &str) -> Rights {
    let mut device = Raw::clean(broker, V5, client);
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
