//! Messages for people and for programs. What devices say never reaches a terminal as it is.

use serde_json::{Value, json};

use crate::dead_letter::DeadLetter;
use crate::message::Message;

/// Of a payload, in a line for people.
const SHOWN: usize = 120;

/// As JSON: the payload as text when it is UTF-8, in base64 when it is not.
pub fn message(message: &Message) -> Value {
    let mut value = json!({
        "topic": message.topic.as_str(),
        "qos": message.qos as u8,
        "retain": message.retain,
    });
    match std::str::from_utf8(&message.payload) {
        Ok(text) => value["payload"] = text.into(),
        Err(_) => value["payload_base64"] = base64(&message.payload).into(),
    }
    if let Some(properties) = &message.properties {
        value["properties"] = json!({
            "payload_is_utf8": properties.payload_is_utf8,
            "expiry": properties.expiry,
            "content_type": properties.content_type,
            "response_topic": properties.response_topic,
            "correlation_data_base64": properties.correlation_data.as_ref().map(|data| base64(data)),
            "user": properties.user,
        });
    }
    value
}

pub fn letter(id: Option<u64>, letter: &DeadLetter) -> Value {
    json!({ "id": id, "facts": letter.metadata, "message": message(&letter.message) })
}

/// `topic qos payload`, escaped and cut.
pub fn line(message: &Message) -> String {
    let payload = String::from_utf8_lossy(&message.payload);
    let shown: String = payload.chars().take(SHOWN).collect();
    let more = if shown.len() < payload.len() { "…" } else { "" };
    let retain = if message.retain { " retained" } else { "" };
    format!("{} qos={}{retain} {}{more}", escape(message.topic.as_str()), message.qos as u8, escape(&shown))
}

/// Control characters, and those that turn the direction of writing, in the way of Rust.
pub fn escape(text: &str) -> String {
    let is_plain = |c: char| {
        !c.is_control() && !matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_plain(c) { escaped.push(c) } else { escaped.extend(c.escape_default()) }
    }
    escaped
}

/// RFC 4648, with padding. Twelve lines are less than a dependency.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = ALPHABET.get((word >> shift & 63) as usize).copied().unwrap_or(b'=');
            text.push(if place <= chunk.len() { digit.into() } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::QoS;
    use crate::topic::TopicName;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (plain, encoded) in cases {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }

    #[test]
    fn no_control_character_comes_out() {
        let message = Message::new(TopicName::parse("a\u{1b}[31m").unwrap(), "\u{7}\u{202e}é\n", QoS::AtLeastOnce);
        assert_eq!(line(&message), r"a\u{1b}[31m qos=1 \u{7}\u{202e}é\n");
    }

    #[test]
    fn a_payload_that_is_no_text_is_base64_in_json() {
        let message = Message::new(TopicName::parse("a").unwrap(), vec![0xff], QoS::AtMostOnce);
        assert_eq!(super::message(&message)["payload_base64"], "/w==");
    }
}
