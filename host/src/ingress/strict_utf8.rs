//! What MQTT lets a server close on, and some upstreams do; with `strict_utf8` this one does, too: text with control characters or
//! non-characters (section 1.5.4), and a payload that is said to be UTF-8 and is not (sections 3.1.3.2.3 and 3.3.2.3.2). In what others will
//! read, so also in a will; a payload may have line breaks, and what else it likes.

use crate::message::{Message, Properties};
use crate::mqtt::{Connect, Packet, Publish, Reason};

/// What to say to whom sends it.
pub type Complaint = (Reason, &'static str);

const TEXT: Complaint = (
    Reason::MALFORMED_PACKET,
    "a control character or a non-character in a topic, property or name, which `strict_utf8` forbids",
);
const PAYLOAD: Complaint =
    (Reason::PAYLOAD_FORMAT_INVALID, "a payload that is said to be UTF-8 and is not, which `strict_utf8` forbids");

/// U+0001 to U+001F, U+007F to U+009F, U+FDD0 to U+FDEF, and the last two of each plane.
fn is_discouraged(c: char) -> bool {
    let code = u32::from(c);
    c.is_control() || (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
}

fn has_discouraged(text: &str) -> bool {
    // Names are ASCII, mostly.
    match text.is_ascii() {
        true => text.bytes().any(|byte| byte.is_ascii_control()),
        false => text.chars().any(is_discouraged),
    }
}

fn properties_have(properties: &Properties) -> bool {
    let optional = [&properties.content_type, &properties.response_topic];
    optional.into_iter().flatten().any(|text| has_discouraged(text))
        || properties.user.iter().any(|(name, value)| has_discouraged(name) || has_discouraged(value))
}

pub fn violated(packet: &Packet) -> Option<Complaint> {
    let Packet::Publish(Publish { topic, properties, payload, .. }) = packet else { return None };
    of_message(topic.as_ref().map_or("", |topic| topic.as_str()), properties.as_deref(), payload)
}

/// In its names, its user properties, its will.
pub fn violated_by(connect: &Connect) -> Option<Complaint> {
    let user = connect.user_properties.iter().flat_map(|(name, value)| [name, value]);
    let texts = user.chain([&connect.client_id]).chain(&connect.username);
    if texts.into_iter().any(|text| has_discouraged(text)) {
        return Some(TEXT);
    }
    let Message { topic, properties, payload, .. } = &connect.will.as_ref()?.message;
    of_message(topic.as_str(), properties.as_deref(), payload)
}

fn of_message(topic: &str, properties: Option<&Properties>, payload: &[u8]) -> Option<Complaint> {
    if has_discouraged(topic) || properties.is_some_and(properties_have) {
        return Some(TEXT);
    }
    let is_said = properties.is_some_and(|properties| properties.payload_is_utf8 == Some(true));
    (is_said && std::str::from_utf8(payload).is_err()).then_some(PAYLOAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_non_characters_are_discouraged_and_others_are_not() {
        for c in ['\u{1}', '\u{1f}', '\u{7f}', '\u{9f}', '\u{fdd0}', '\u{ffff}', '\u{1fffe}', '\u{10ffff}'] {
            assert!(has_discouraged(&format!("a/é{c}")) && has_discouraged(&format!("a/{c}")), "{c:?}");
        }
        assert!(!has_discouraged("räume/7 °C/\u{feff}\u{fffd}") && !has_discouraged("a b~"));
    }
}
