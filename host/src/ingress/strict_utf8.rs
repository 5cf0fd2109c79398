//! Text that MQTT allows and discourages (section 1.5.4): control characters and non-characters. A server may end the connection on
//! them, and some upstreams do; with `strict_utf8` this one does, too.

use crate::message::Properties;
use crate::mqtt::Packet;

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

/// Whether a PUBLISH has such text in what others will read: its topic, its properties. The payload is the application's.
pub fn is_violated(packet: &Packet) -> bool {
    let Packet::Publish(publish) = packet else { return false };
    publish.topic.as_ref().is_some_and(|topic| has_discouraged(topic.as_str()))
        || publish.properties.as_deref().is_some_and(properties_have)
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
