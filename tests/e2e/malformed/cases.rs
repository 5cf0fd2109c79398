//! What a device must not send, byte by byte, and the reason that it is told.

use tidegate_tests::wire::{V4, V5, Version};

const MALFORMED: u8 = 0x81;
const PROTOCOL: u8 = 0x82;
const TOPIC_NAME: u8 = 0x90;
const ALIAS: u8 = 0x94;
pub const TOO_LARGE: u8 = 0x95;

/// What it is, the version it is said in, first byte and body, the reason.
pub type Case = (&'static str, Version, u8, &'static [u8], u8);

/// After a good CONNECT.
#[rustfmt::skip]
pub const PACKETS: &[Case] = &[
    ("a second CONNECT", V5, 0x10, b"\0\x04MQTT\x05\x02\0\0\0\0\x01c", PROTOCOL),
    ("a second CONNECT", V4, 0x10, b"\0\x04MQTT\x04\x02\0\0\0\x01c", PROTOCOL),
    ("packet type 0", V5, 0x00, b"", MALFORMED),
    ("packet type 0", V4, 0x00, b"", MALFORMED),
    ("CONNACK", V5, 0x20, b"\0\0\0", PROTOCOL),
    ("CONNACK", V4, 0x20, b"\0\0", PROTOCOL),
    ("SUBACK", V5, 0x90, b"\0\x01\0\0", PROTOCOL),
    ("SUBACK", V4, 0x90, b"\0\x01\0", PROTOCOL),
    ("UNSUBACK", V5, 0xB0, b"\0\x01\0\0", PROTOCOL),
    ("UNSUBACK", V4, 0xB0, b"\0\x01", PROTOCOL),
    ("PINGRESP", V5, 0xD0, b"", PROTOCOL),
    ("PINGRESP", V4, 0xD0, b"", PROTOCOL),
    ("AUTH", V5, 0xF0, b"", PROTOCOL),
    ("packet type 15", V4, 0xF0, b"", MALFORMED),
    ("PUBREL without its flag", V5, 0x60, b"\0\x01", MALFORMED),
    ("SUBSCRIBE without its flag", V5, 0x80, b"\0\x01\0\0\x01a\0", MALFORMED),
    ("SUBSCRIBE without its flag", V4, 0x80, b"\0\x01\0\x01a\0", MALFORMED),
    ("UNSUBSCRIBE without its flag", V4, 0xA0, b"\0\x01\0\x01a", MALFORMED),
    ("PUBACK with a flag", V5, 0x41, b"\0\x01", MALFORMED),
    ("PINGREQ with a flag", V5, 0xC1, b"", MALFORMED),
    ("PINGREQ with a body", V4, 0xC0, b"x", MALFORMED),
    ("DISCONNECT with a flag", V5, 0xE1, b"", MALFORMED),
    ("PUBLISH at QoS 3", V5, 0x36, b"\0\x01t\0\x01\0", MALFORMED),
    ("PUBLISH at QoS 3", V4, 0x36, b"\0\x01t\0\x01", MALFORMED),
    ("DUP at QoS 0", V5, 0x38, b"\0\x01t\0", MALFORMED),
    ("PUBLISH without anything", V5, 0x30, b"", MALFORMED),
    ("PUBLISH without anything", V4, 0x30, b"", MALFORMED),
    ("packet identifier 0", V5, 0x32, b"\0\x01t\0\0\0", PROTOCOL),
    ("packet identifier 0", V4, 0x34, b"\0\x01t\0\0", PROTOCOL),
    ("no packet identifier", V4, 0x32, b"\0\x01t", MALFORMED),
    ("a topic that is cut off", V4, 0x30, b"\0\x09t", MALFORMED),
    ("an empty topic without an alias", V5, 0x30, b"\0\0\0x", PROTOCOL),
    ("an empty topic", V4, 0x30, b"\0\0x", MALFORMED),
    ("a topic with #", V5, 0x30, b"\0\x03a/#\0", TOPIC_NAME),
    ("a topic with +", V4, 0x30, b"\0\x01+", TOPIC_NAME),
    ("a topic with U+0000", V5, 0x30, b"\0\x01\0\0", MALFORMED),
    ("a topic that is not UTF-8", V5, 0x30, b"\0\x02\xC3\x28\0", MALFORMED),
    ("a topic with a surrogate", V4, 0x30, b"\0\x03\xED\xA0\x80", MALFORMED),
    ("no property length", V5, 0x30, b"\0\x01t", MALFORMED),
    ("properties longer than the packet", V5, 0x30, b"\0\x01t\x7F", MALFORMED),
    ("an unknown property", V5, 0x30, b"\0\x01t\x02\x7F\0", MALFORMED),
    ("a property of CONNECT", V5, 0x30, b"\0\x01t\x05\x11\0\0\0\x01", MALFORMED),
    ("topic alias 0", V5, 0x30, b"\0\x01t\x03\x23\0\0", ALIAS),
    ("a topic alias above the maximum", V5, 0x30, b"\0\x01t\x03\x23\0\x11", ALIAS),
    ("a topic alias that was never set", V5, 0x30, b"\0\0\x03\x23\0\x01", PROTOCOL),
    ("an expiry interval twice", V5, 0x30, b"\0\x01t\x0A\x02\0\0\0\x01\x02\0\0\0\x01", PROTOCOL),
    ("payload format 2", V5, 0x30, b"\0\x01t\x02\x01\x02", PROTOCOL),
    ("a subscription identifier from a client", V5, 0x30, b"\0\x01t\x02\x0B\x01", PROTOCOL),
    ("a response topic with a wildcard", V5, 0x30, b"\0\x01t\x04\x08\0\x01#", PROTOCOL),
    ("half a user property", V5, 0x30, b"\0\x01t\x04\x26\0\x01a", MALFORMED),
    ("PUBACK without anything", V5, 0x40, b"", MALFORMED),
    ("PUBACK with identifier 0", V5, 0x40, b"\0\0", PROTOCOL),
    ("PUBACK with a reason of another packet", V5, 0x40, b"\0\x01\x92", PROTOCOL),
    ("PUBACK with a reason", V4, 0x40, b"\0\x01\0", MALFORMED),
    ("PUBREL of one byte", V4, 0x62, b"\0", MALFORMED),
    ("SUBSCRIBE without a filter", V5, 0x82, b"\0\x01\0", PROTOCOL),
    ("SUBSCRIBE without a filter", V4, 0x82, b"\0\x01", PROTOCOL),
    ("SUBSCRIBE with identifier 0", V4, 0x82, b"\0\0\0\x01a\0", PROTOCOL),
    ("SUBSCRIBE at QoS 3", V5, 0x82, b"\0\x01\0\0\x01a\x03", PROTOCOL),
    ("SUBSCRIBE at QoS 3", V4, 0x82, b"\0\x01\0\x01a\x03", MALFORMED),
    ("SUBSCRIBE with reserved option bits", V5, 0x82, b"\0\x01\0\0\x01a\x40", MALFORMED),
    ("SUBSCRIBE with retain handling 3", V5, 0x82, b"\0\x01\0\0\x01a\x30", PROTOCOL),
    ("no-local on a shared subscription", V5, 0x82, b"\0\x01\0\0\x0A$share/g/a\x04", PROTOCOL),
    ("subscription identifier 0", V5, 0x82, b"\0\x01\x02\x0B\0\0\x01a\0", PROTOCOL),
    ("a filter that is cut off", V4, 0x82, b"\0\x01\0\x05a", MALFORMED),
    ("UNSUBSCRIBE without a filter", V5, 0xA2, b"\0\x01\0", PROTOCOL),
    ("UNSUBSCRIBE that is cut off", V4, 0xA2, b"\0\x01\0\x02a", MALFORMED),
    ("DISCONNECT with a body", V4, 0xE0, b"\0", MALFORMED),
    ("DISCONNECT with a server's reason", V5, 0xE0, b"\x8B", PROTOCOL),
    ("DISCONNECT that asks for an expiry after none", V5, 0xE0, b"\0\x05\x11\0\0\0\x09", PROTOCOL),
];

/// As the first packet. Reason 0: there is no answer, because the version never became known, or because it is 3.1.1, which
/// has none to what breaks its format: 3.1.1 [MQTT-3.1.4-1].
#[rustfmt::skip]
pub const CONNECTS: &[Case] = &[
    ("PINGREQ first", V4, 0xC0, b"", 0),
    ("PUBLISH first", V5, 0x30, b"\0\x01t\0", 0),
    ("HTTP", V4, b'G', b"ET / HTTP/1.1\r\n\r\n", 0),
    ("TLS", V4, 0x16, b"\x01\0\x02", 0),
    ("nothing", V4, 0x10, b"", 0),
    ("CONNECT with a flag", V4, 0x11, b"\0\x04MQTT\x04\x02\0\0\0\x01c", 0),
    ("reserved connect flag", V4, 0x10, b"\0\x04MQTT\x04\x03\0\0\0\x01c", 0),
    ("reserved connect flag", V5, 0x10, b"\0\x04MQTT\x05\x03\0\0\0\0\x01c", MALFORMED),
    ("will QoS 3", V5, 0x10, b"\0\x04MQTT\x05\x1E\0\0\0\0\x01c\0\0\x01t\0\x01m", MALFORMED),
    ("a will that is missing", V5, 0x10, b"\0\x04MQTT\x05\x06\0\0\0\0\x01c", MALFORMED),
    ("a will topic with a wildcard", V5, 0x10, b"\0\x04MQTT\x05\x06\0\0\0\0\x01c\0\0\x01#\0\x01m", TOPIC_NAME),
    ("a client identifier that is not UTF-8", V5, 0x10, b"\0\x04MQTT\x05\x02\0\0\0\0\x01\xFF", MALFORMED),
    ("bytes left over", V5, 0x10, b"\0\x04MQTT\x05\x02\0\0\0\0\x01cx", MALFORMED),
    ("receive maximum 0", V5, 0x10, b"\0\x04MQTT\x05\x02\0\0\x03\x21\0\0\0\x01c", PROTOCOL),
    ("session expiry twice", V5, 0x10, b"\0\x04MQTT\x05\x02\0\0\x0A\x11\0\0\0\x01\x11\0\0\0\x01\0\x01c", PROTOCOL),
    ("an authentication method", V5, 0x10, b"\0\x04MQTT\x05\x02\0\0\x04\x15\0\x01x\0\x01c", 0x8C),
    ("no identifier and a session to keep", V4, 0x10, b"\0\x04MQTT\x04\0\0\0\0\0", 2),
    ("a password without a user name", V4, 0x10, b"\0\x04MQTT\x04\x42\0\0\0\x01c\0\x01p", 0),
    ("will QoS 3", V4, 0x10, b"\0\x04MQTT\x04\x1E\0\0\0\x01c\0\x01t\0\x01m", 0),
    ("a will topic with a wildcard", V4, 0x10, b"\0\x04MQTT\x04\x06\0\0\0\x01c\0\x01#\0\x01m", 0),
    ("a client identifier that is not UTF-8", V4, 0x10, b"\0\x04MQTT\x04\x02\0\0\0\x01\xFF", 0),
    ("bytes left over", V4, 0x10, b"\0\x04MQTT\x04\x02\0\0\0\x01cx", 0),
];
