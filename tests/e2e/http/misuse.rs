//! HTTP that is wrong, slow, too large, or another protocol: it has its status or its end, and whoever asks properly has an answer.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use tidegate_tests::eventually::SOON;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::http::{Answer, get, read, speak};
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::V5;

use super::HTTP;

fn status(address: SocketAddr, request: &str) -> u16 {
    let answered = speak(address, request.as_bytes()).unwrap();
    Answer::parse(&answered).unwrap_or_else(|| panic!("{request:?}: {answered:?}")).status
}

#[test]
fn what_is_no_question_is_refused_by_its_status() {
    let gateway = Gateway::start(HTTP);
    let address = gateway.http();
    let long = "a".repeat(40_000);
    let many: String = (0..200).map(|number| format!("X-{number}: 1\r\n")).collect();
    for (request, expected) in [
        ("POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc".to_owned(), 405),
        ("DELETE / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 405),
        ("BREW /metrics HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 405),
        ("GET /metric HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 404),
        ("GET /../etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 404),
        ("GET /metrics HTTP/1.0\r\n\r\n".to_owned(), 200),
        ("GET http://h/healthz HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 200),
        ("GET /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999999\r\n\r\n".to_owned(), 200),
        ("GET /healthz HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n".to_owned(), 200),
        (format!("GET /healthz HTTP/1.1\r\nHost: h\r\nX: {long}\r\n\r\n"), 431),
        (format!("GET /healthz HTTP/1.1\r\nHost: h\r\n{many}\r\n"), 431),
        (format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"), 431),
        ("GET /healthz\r\n\r\n".to_owned(), 400),
        ("\u{16}\u{3}\u{1}\u{0}\u{5}hello\r\n\r\n".to_owned(), 400),
    ] {
        assert_eq!(status(address, &request), expected, "{:?}", &request[..request.len().min(80)]);
    }
    // A device at the wrong port, and who speaks HTTP/2 without asking.
    for other in [&b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04abcd"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        assert!(!speak(address, other).unwrap_or_default().contains(" 200 "));
    }
    assert_eq!(get(address, "/healthz").status, 200);
}

#[test]
fn head_has_the_head_of_get_and_no_body() {
    let gateway = Gateway::start(HTTP);
    let answered = speak(gateway.http(), b"HEAD /metrics HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let head = Answer::parse(&answered).unwrap();
    assert!(head.status == 200 && head.body.is_empty(), "{answered}");
    assert!(head.headers["content-length"].parse::<usize>().unwrap() > 5_000, "{answered}");
    assert_eq!((head.headers["connection"].as_str(), head.headers["cache-control"].as_str()), ("close", "no-store"));
}

#[test]
fn a_connection_has_one_answer() {
    let gateway = Gateway::start(HTTP);
    let question = "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n";
    let answered = speak(gateway.http(), question.repeat(3).as_bytes()).unwrap();
    assert_eq!(answered.matches("HTTP/1.1 200").count(), 1, "{answered}");
}

#[test]
fn those_who_say_nothing_lose_their_places_and_devices_notice_nothing() {
    let gateway = Gateway::start(HTTP);
    let silent = |_| {
        let mut stream = TcpStream::connect(gateway.http()).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ").unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    };
    // More than there are places.
    let mut all: Vec<TcpStream> = (0..40).map(silent).collect();
    let mut device = Raw::clean(gateway.address(), V5, "device");
    device.publish("t", "x", 1);
    let asked = Instant::now();
    assert_eq!(get(gateway.http(), "/healthz").status, 200);
    assert!(asked.elapsed() < SOON);
    // The first of them have been sent away for it.
    assert!(read(&mut all[0]).is_ok_and(|said| said.is_empty() || said.contains(" 408 ")));
}
