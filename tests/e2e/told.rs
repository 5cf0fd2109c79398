//! What people are told: about other protocols on a port, servers that do not answer, credentials that nobody checks; and never a
//! control character of somebody else.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use tidegate_tests::gateway::{Gateway, Home};
use tidegate_tests::raw::Raw;
use tidegate_tests::upstream::Upstream;
use tidegate_tests::wire::V5;

/// One that hears what is said first, says this, and closes; or keeps the connection for ever when it has nothing to say.
fn server(says: Option<&'static [u8]>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of the loopback interface");
    let address = listener.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            match says {
                Some(words) => _ = stream.write_all(words),
                None => kept.push(stream),
            }
        }
    });
    address
}

fn checked(address: SocketAddr, more: &str) -> String {
    let config = format!(
        "[upstreams.cloud]\nurl = \"mqtt://{address}\"\n{more}\n[[bindings]]\nname = \"all\"\ntopic = \"#\"\nto = [{{ upstream = \"cloud\" }}]\n"
    );
    let finished = Home::new(&config).tidegate("check", &[]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.err
}

#[test]
fn check_says_what_a_server_may_be_that_closes_or_does_not_answer_or_speaks_something_else() {
    for (says, expected) in [
        (Some(&b""[..]), "if it knows MQTT 3.1.1 only, set `protocol = 4`"),
        (None, "if it knows MQTT 3.1.1 only, set `protocol = 4`"),
        (Some(b"\x20\x02\x00\x01"), "set the other `protocol`"),
        (Some(b"\x15\x03\x03\x00\x02\x02\x46"), "speaks TLS on this port"),
        (Some(b"HTTP/1.1 426 Upgrade Required\r\n\r\n"), "speaks HTTP or WebSocket"),
        (Some(b"\x20\x0b\x00\x9d\x08\x1c\x00\x05other"), "Server moved (0x9D); it names `other`"),
    ] {
        let said = checked(server(says), "");
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn check_says_that_credentials_are_checked_by_nobody() {
    let upstream = Upstream::start();
    assert!(checked(upstream.address(), "username = \"gw\"\n").contains("does not check user name and password"));
    assert!(!checked(upstream.address(), "").contains("password"));
}

#[test]
fn a_device_that_speaks_something_else_and_one_with_credentials_are_told_of() {
    let gateway = Gateway::start("");
    for (says, expected) in [
        (&b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"[..], "the device speaks TLS"),
        (b"GET /mqtt HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", "the device speaks HTTP or WebSocket"),
    ] {
        let mut device = Raw::open(gateway.address(), V5);
        device.send(says);
        assert!(device.expect_close().is_empty());
        gateway.expect_log(&["connection refused", expected]);
    }
    for _ in 0..3 {
        let mut device = Raw::open(gateway.address(), V5);
        // MQTT 3.1.1, with a user name.
        device.send(b"\x10\x10\x00\x04MQTT\x04\x82\x00\x3c\x00\x01d\x00\x01u");
        device.expect(2);
    }
    gateway.expect_log_times(1, &["sends a user name, and nobody checks it"]);
    gateway.stop();
}

/// U+009B is to many terminals what ESC and `[` are.
#[test]
fn no_command_writes_a_control_character_of_a_device() {
    const TOPIC: &str = "a\u{1b}[31m\u{9b}2J\u{7f}";
    let upstream = Upstream::start();
    upstream.refuse("a", 0x87);
    let config = format!(
        "{}[[bindings]]\nname = \"all\"\ntopic = \"#\"\nto = [{{ upstream = \"cloud\" }}]\n",
        upstream.config(5)
    );
    let gateway = Gateway::start(&config);
    let mut device = Raw::clean(gateway.address(), V5, "dev\u{9b}ice");
    device.publish(TOPIC, "\u{1b}\u{9b}", 1);
    gateway.expect_letters(1);
    upstream.hold_acks(true);
    upstream.take_all();
    device.publish(TOPIC, "\u{1b}\u{9b}", 1);
    let home = gateway.home();
    let outputs = [
        home.tidegate("status", &[]),
        home.tidegate("status", &["--format", "json"]),
        home.tidegate("sessions", &[]),
        home.tidegate("sessions", &["--format", "json"]),
        home.tidegate("explain", &[TOPIC]),
        home.spool("peek", &["--dead-letters"]),
        home.spool("peek", &["--upstream", "cloud"]),
        home.spool("export", &["--dead-letters"]),
        home.spool("stat", &[]),
        home.spool("peek", &["--upstream", "no\u{9b}ne"]),
        home.spool("skip", &["--upstream", "cloud"]),
    ];
    for finished in outputs {
        let text = format!("{}{}", finished.out, finished.err);
        let is_bad = |c: &char| c.is_control() && *c != '\n' && *c != '\t';
        assert_eq!(text.chars().find(is_bad), None, "{text:?}");
    }
    assert!(home.spool("export", &["--dead-letters"]).out.contains("\\u009b2J"));
    gateway.stop();
}
