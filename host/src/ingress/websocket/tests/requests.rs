//! Requests, and what comes of them before a WebSocket stands.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// The key and the answer to it of RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn request(more: &str) -> String {
    format!(
        "GET /mqtt HTTP/1.1\r\nHost: gw:8083\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{more}\r\n"
    )
}

fn with_protocol(more: &str) -> String {
    request(&format!("Sec-WebSocket-Protocol: mqtt\r\n{more}"))
}

/// What a client hears that sends this in pieces and closes, and what the log says.
async fn ask(bytes: &[u8], piece: usize, origins: &[&str]) -> (String, Result<bool, String>) {
    let origins: Vec<String> = origins.iter().map(|one| (*one).to_owned()).collect();
    let (mut near, far) = tokio::io::duplex(64);
    let (mut reader, mut writer) = tokio::io::split(&mut near);
    let write = async {
        for piece in bytes.chunks(piece) {
            // The other side may have heard enough.
            let _ = writer.write_all(piece).await;
        }
        let _ = writer.shutdown().await;
    };
    let read = async {
        let mut answer = Vec::new();
        let _ = reader.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    let serve = async {
        upgrade(far, &origins).await.map(|socket| socket.is_some()).map_err(|refused| refused.detail.into_owned())
    };
    let ((), answer, outcome) = tokio::join!(write, read, serve);
    (answer, outcome)
}

#[tokio::test]
async fn a_request_for_mqtt_gets_a_websocket_however_it_is_cut() {
    for piece in [1, 7, 10_000] {
        let (answer, outcome) = ask(with_protocol("").as_bytes(), piece, &[]).await;
        assert_eq!(outcome, Ok(true));
        assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
        let answer = answer.to_ascii_lowercase();
        for header in ["upgrade: websocket", "sec-websocket-protocol: mqtt\r\n", &ACCEPT.to_ascii_lowercase()] {
            assert!(answer.contains(header), "{answer}");
        }
    }
}

#[tokio::test]
async fn the_subprotocol_is_the_one_of_the_specification_or_else_the_old_one() {
    for (offered, chosen) in [
        ("Sec-WebSocket-Protocol: mqttv3.1\r\n", Some("mqttv3.1")),
        ("Sec-WebSocket-Protocol: mqttv3.1, mqtt\r\n", Some("mqtt")),
        ("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: soap,mqtt\r\n", Some("mqtt")),
        ("Sec-WebSocket-Protocol: mqtt5\r\n", None),
        ("", None),
    ] {
        let (answer, outcome) = ask(request(offered).as_bytes(), 1_000, &[]).await;
        match chosen {
            Some(chosen) => assert!(
                answer.to_ascii_lowercase().contains(&format!("sec-websocket-protocol: {chosen}\r\n")),
                "{offered}: {answer}"
            ),
            None => {
                assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
                assert!(outcome.unwrap_err().contains("without the subprotocol `mqtt`"));
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_request_for_a_websocket_is_told_what_this_port_is_for() {
    let page = "GET / HTTP/1.1\r\nHost: gw\r\n\r\n";
    for (request, status) in [
        (page.to_owned(), "426"),
        (page.replace("1.1", "1.0"), "426"),
        (page.replace("GET", "POST"), "405"),
        (with_protocol("").replace("Version: 13", "Version: 8"), "426"),
        (with_protocol("").replace(KEY, "short"), "400"),
        (page.replace("HTTP/1.1", "nonsense"), "400"),
        (with_protocol("\0: x\r\n"), "400"),
    ] {
        let (answer, outcome) = ask(request.as_bytes(), 1_000, &[]).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        assert!(answer.contains("This port is for MQTT over WebSocket"), "{answer}");
        assert!(outcome.is_err());
    }
}

#[tokio::test]
async fn pages_are_let_in_by_their_origin_and_devices_have_none() {
    let listed = ["https://panel.example"];
    let from = |origin: &str| with_protocol(&format!("Origin: {origin}\r\n"));
    assert_eq!(ask(from("https://panel.example").as_bytes(), 1_000, &listed).await.1, Ok(true));
    assert_eq!(ask(with_protocol("").as_bytes(), 1_000, &listed).await.1, Ok(true));
    for origins in [&listed[..], &[]] {
        let (answer, outcome) = ask(from("https://evil.example").as_bytes(), 1_000, origins).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(outcome.unwrap_err().contains("origins = [\"https://evil.example\"]"));
    }
    // What no list can have is not proposed for one.
    for none in ["null", "file://", "", "http://a\"b"] {
        let (answer, outcome) = ask(from(none).as_bytes(), 1_000, &listed).await;
        let told = outcome.unwrap_err();
        assert!(answer.starts_with("HTTP/1.1 403 ") && told.contains("origins = [\"*\"]"), "{none}: {told}");
        assert!(!told.contains(&format!("[\"{none}\"]")), "{told}");
    }
    let two = with_protocol("Origin: https://panel.example\r\nOrigin: https://evil.example\r\n");
    assert!(ask(two.as_bytes(), 1_000, &listed).await.1.is_err());
}

#[tokio::test]
async fn other_protocols_are_named_at_once_and_not_answered_in_http() {
    for (bytes, words) in [
        (&b"\x10\x0c\0\x04MQTT\x05"[..], "MQTT without WebSocket"),
        (b"\x16\x03\x01\x02\0\x01", "speaks TLS"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n", "proxy_protocol = true"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11", "proxy_protocol = true"),
        (b"hello", "neither HTTP nor WebSocket"),
    ] {
        let (answer, outcome) = ask(bytes, 1_000, &[]).await;
        assert_eq!(answer, "");
        assert!(outcome.unwrap_err().contains(words), "{words}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_refused_at_8_kib() {
    let endless = with_protocol(&"X-Cookie: 0123456789\r\n".repeat(1_000));
    let (answer, outcome) = ask(endless.as_bytes(), 100, &[]).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(outcome.is_err());
}

#[tokio::test]
async fn who_leaves_in_the_midst_is_no_fault() {
    for bytes in [&b""[..], b"GET /mqtt HT"] {
        assert_eq!(ask(bytes, 1_000, &[]).await, (String::new(), Ok(false)));
    }
}
