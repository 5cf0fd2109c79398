//! What comes before a WebSocket stands: requests that get one, and those that do not.

use std::time::Instant;

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::websocket::{ask, request};
use tidegate_tests::wire::{Connect, V5};

use super::Web;

#[test]
fn a_browser_that_looks_for_a_page_is_told_what_this_port_is_for() {
    let web = Web::start("");
    let answer = ask(web.web, b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
    assert!(answer.contains("This port is for MQTT over WebSocket"), "{answer}");
    let answer = ask(web.web, request("").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    web.gateway.expect_log(&["connection refused", "listener=web", "without the subprotocol `mqtt`"]);
    web.gateway.stop();
}

#[test]
fn pages_of_other_origins_are_kept_out_and_the_line_that_lets_them_in_is_told() {
    let web = Web::start("origins = [\"https://Panel.example:443\"]\n");
    let from = |origin: &str| request(&format!("Sec-WebSocket-Protocol: mqtt\r\nOrigin: {origin}\r\n"));
    let answer = ask(web.web, from("https://evil.example").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    web.gateway.expect_log(&["connection refused", "`origins = [\"https://evil.example\"]` lets it in"]);
    // One that is let in speaks: it leaves, and so the gateway closes.
    let speaks = [from("https://panel.example").as_bytes(), b"\x88\x80\0\0\0\0"].concat();
    assert!(ask(web.web, &speaks).starts_with("HTTP/1.1 101 "));
    web.gateway.stop();
}

#[test]
fn the_wrong_transport_is_named_on_both_sides() {
    let web = Web::start("");
    assert_eq!(ask(web.web, &Connect::new(V5, "device").encode()), "");
    web.gateway.expect_log(&["listener=web", "the device speaks MQTT without WebSocket"]);
    assert_eq!(ask(web.tcp, request("").as_bytes()), "");
    web.gateway.expect_log(&["the device speaks HTTP or WebSocket", "`transport = \"websocket\"`"]);
    web.gateway.stop();
}

#[test]
fn who_does_not_finish_a_request_is_gone_after_the_deadline_and_holds_up_nobody() {
    let gateway = Gateway::start(&format!("{}[broker.limits]\nhandshake_timeout = \"1s\"\n", super::WEB));
    let web = gateway.listener("web");
    let begun = Instant::now();
    for half in [&b""[..], b"GET /mqtt HTTP/1.1\r\n", request("Sec-WebSocket-Protocol: mqtt\r\n").as_bytes()] {
        let mut slow = Raw::open(web, V5);
        slow.send(half);
        // Somebody else, meanwhile.
        assert!(ask(web, b"GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 426 "));
        // The last one has a WebSocket, and says nothing in it.
        while !matches!(slow.next(std::time::Duration::from_secs(20)), tidegate_tests::raw::Next::Closed) {}
    }
    assert!(begun.elapsed().as_secs() >= 3, "each has its second");
    gateway.expect_log_times(2, &["no request for a WebSocket within broker.limits.handshake_timeout"]);
    gateway.expect_log_times(1, &["no CONNECT within broker.limits.handshake_timeout"]);
    gateway.stop();
}
