//! What is refused, and with which reason.

use super::*;

const MALFORMED: Reason = Reason::MALFORMED_PACKET;
const PROTOCOL: Reason = Reason::PROTOCOL_ERROR;
const UNSUPPORTED: Reason = Reason::UNSUPPORTED_PROTOCOL_VERSION;

type Case = (&'static str, Version, u8, &'static [u8], Reason);

fn check(cases: &[Case]) {
    for (what, version, first, body, reason) in cases {
        let decoded = decode(*version, packet(*first, body));
        assert_eq!(decoded.map_err(|error| error.reason), Err(*reason), "{what}");
    }
}

fn check_connects(cases: &[(&'static str, &'static [u8], Reason)]) {
    for (what, body, reason) in cases {
        assert_eq!(connect(body).map_err(|error| error.reason), Err(*reason), "{what}");
    }
}

#[test]
fn a_first_packet_that_is_not_connect_is_refused_at_its_first_byte() {
    for first in (0..=0xFF).filter(|first| first >> 4 != 1) {
        let refused = Codec::new(MAX).decode(&mut BytesMut::from(&[first][..]));
        assert_eq!(refused.map_err(|error| error.reason), Err(PROTOCOL), "{first:#x}");
    }
}

#[test]
fn types_and_flags_that_a_client_must_not_send_are_refused_before_the_packet_is_there() {
    let cases = [
        ("a second CONNECT", V5, 0x10, PROTOCOL),
        ("CONNACK", V5, 0x20, PROTOCOL),
        ("SUBACK", V5, 0x90, PROTOCOL),
        ("UNSUBACK", V5, 0xB0, PROTOCOL),
        ("PINGRESP", V311, 0xD0, PROTOCOL),
        ("AUTH", V5, 0xF0, PROTOCOL),
        ("type 15 in 3.1.1", V311, 0xF0, MALFORMED),
        ("type 0", V5, 0x00, MALFORMED),
        ("PUBREL without its flag", V5, 0x60, MALFORMED),
        ("SUBSCRIBE without its flag", V5, 0x80, MALFORMED),
        ("UNSUBSCRIBE without its flag", V311, 0xA0, MALFORMED),
        ("PUBACK with a flag", V5, 0x41, MALFORMED),
        ("PUBREC with a flag", V5, 0x52, MALFORMED),
        ("PUBCOMP with a flag", V5, 0x74, MALFORMED),
        ("PINGREQ with a flag", V5, 0xC8, MALFORMED),
        ("DISCONNECT with a flag", V5, 0xE1, MALFORMED),
    ];
    for (what, version, first, reason) in cases {
        let refused = connected(version).decode(&mut BytesMut::from(&[first][..]));
        assert_eq!(refused.map_err(|error| error.reason), Err(reason), "{what}");
    }
    assert!(Codec::new(MAX).decode(&mut BytesMut::from(&[0x11][..])).is_err(), "CONNECT with a flag");
}

#[test]
fn a_packet_above_the_limit_is_refused_before_it_is_buffered() {
    let limit = 16;
    let mut codec = Codec::new(limit);
    let refused = codec.decode(&mut BytesMut::from(&[0x10, 15][..]));
    assert_eq!(refused.map_err(|error| error.reason), Err(Reason::PACKET_TOO_LARGE));
    assert_eq!(codec.decode(&mut BytesMut::from(&[0x10, 14][..])), Ok(None), "exactly the limit");
}

#[test]
fn a_remaining_length_has_four_bytes_at_most_and_is_minimal_in_mqtt_5() {
    let long = &[0xC0, 0x80, 0x80, 0x80, 0x80][..];
    assert_eq!(connected(V311).decode(&mut BytesMut::from(long)).unwrap_err().reason, MALFORMED);
    let padded = || BytesMut::from(&[0xC0, 0x80, 0x00][..]);
    assert_eq!(decode(V5, padded()).unwrap_err().reason, MALFORMED);
    assert_eq!(decode(V311, padded()), Ok(Packet::PingReq));
    let mut connect = BytesMut::from(&b"\x10\x8E\0\0\x04MQTT\x05\x02\0\0\0\0\x01c"[..]);
    let mut codec = Codec::new(MAX);
    assert_eq!(codec.decode(&mut connect).unwrap_err().reason, MALFORMED);
    assert_eq!(codec.version(), Some(V5), "and the answer is in its language");
}

#[test]
fn versions_other_than_3_1_1_and_5_are_unsupported() {
    check_connects(&[
        ("MQTT 3.1", b"\0\x06MQIsdp\x03\x02\0\0\0\x01c", UNSUPPORTED),
        ("level 3", b"\0\x04MQTT\x03\x02\0\0\0\x01c", UNSUPPORTED),
        ("level 6", b"\0\x04MQTT\x06\x02\0\0\0\x01c", UNSUPPORTED),
        ("a mosquitto bridge's level", b"\0\x04MQTT\x84\x02\0\0\0\x01c", UNSUPPORTED),
        ("lower case", b"\0\x04mqtt\x04\x02\0\0\0\x01c", UNSUPPORTED),
        ("nothing", b"", MALFORMED),
        ("a name that is cut off", b"\0\x04MQ", MALFORMED),
    ]);
}

#[test]
fn the_version_is_known_even_when_the_rest_of_connect_is_bad() {
    let mut codec = Codec::new(MAX);
    assert!(codec.decode(&mut packet(0x10, b"\0\x04MQTT\x05\x01")).is_err());
    assert_eq!(codec.version(), Some(V5));
}

#[test]
fn a_version_that_is_not_spoken_is_answered_in_the_nearest_that_is() {
    for (level, language) in [(3, V311), (6, V5), (0x7F, V5), (0x83, V311), (0x84, V311), (0x85, V5), (0x86, V5)] {
        let mut codec = Codec::new(MAX);
        let body = [b"\0\x04MQTT", &[level][..], b"\x02\0\0\0\x01c"].concat();
        assert!(codec.decode(&mut packet(0x10, &body)).is_err());
        assert_eq!(codec.version(), Some(language), "level {level}");
    }
}

#[test]
fn the_packet_size_of_a_device_is_known_when_what_follows_it_is_bad() {
    let mut codec = Codec::new(MAX);
    // A will on a topic with a wildcard.
    let body = b"\0\x04MQTT\x05\x06\0\0\x05\x27\0\0\0\x14\0\x01c\0\0\x01#\0\0";
    assert!(codec.decode(&mut packet(0x10, body)).is_err());
    assert_eq!(codec.peer_maximum_packet_size(), Some(20));
}

#[test]
fn bad_connects_of_both_versions() {
    check_connects(&[
        ("reserved flag, 3.1.1", b"\0\x04MQTT\x04\x03\0\0\0\x01c", MALFORMED),
        ("reserved flag, 5", b"\0\x04MQTT\x05\x03\0\0\0\0\x01c", MALFORMED),
        ("will QoS 3", b"\0\x04MQTT\x04\x1C\0\0\0\x01c\0\x01t\0\x01m", MALFORMED),
        ("will QoS without a will", b"\0\x04MQTT\x04\x08\0\0\0\x01c", MALFORMED),
        ("will retain without a will", b"\0\x04MQTT\x04\x20\0\0\0\x01c", MALFORMED),
        ("a will that is missing", b"\0\x04MQTT\x04\x04\0\0\0\x01c", MALFORMED),
        ("a will message that is cut off", b"\0\x04MQTT\x04\x04\0\0\0\x01c\0\x01t\0\x05m", MALFORMED),
        ("an empty will topic", b"\0\x04MQTT\x04\x04\0\0\0\x01c\0\0\0\x01m", MALFORMED),
        ("a will topic with a wildcard", b"\0\x04MQTT\x04\x04\0\0\0\x01c\0\x01#\0\x01m", Reason::TOPIC_NAME_INVALID),
        ("a password without a user name in 3.1.1", b"\0\x04MQTT\x04\x42\0\0\0\x01c\0\x01p", PROTOCOL),
        ("a user name that is missing", b"\0\x04MQTT\x04\x82\0\0\0\x01c", MALFORMED),
        ("a user name that is not UTF-8", b"\0\x04MQTT\x04\x82\0\0\0\x01c\0\x01\xFF", MALFORMED),
        ("a client identifier that is not UTF-8", b"\0\x04MQTT\x04\x02\0\0\0\x01\xFF", MALFORMED),
        ("a client identifier with a surrogate", b"\0\x04MQTT\x04\x02\0\0\0\x03\xED\xA0\x80", MALFORMED),
        ("a client identifier with U+0000", b"\0\x04MQTT\x05\x02\0\0\0\0\x01\0", MALFORMED),
        ("no client identifier", b"\0\x04MQTT\x04\x02\0\0", MALFORMED),
        ("bytes left over", b"\0\x04MQTT\x04\x02\0\0\0\x01cx", MALFORMED),
        ("no properties in 5", b"\0\x04MQTT\x05\x02\0\0", MALFORMED),
    ]);
}

#[test]
fn bad_properties_of_connect_and_will() {
    check_connects(&[
        ("an unknown property", b"\0\x04MQTT\x05\x02\0\0\x02\x7F\0\0\x01c", MALFORMED),
        ("a property of another packet", b"\0\x04MQTT\x05\x02\0\0\x03\x23\0\x01\0\x01c", MALFORMED),
        ("receive maximum 0", b"\0\x04MQTT\x05\x02\0\0\x03\x21\0\0\0\x01c", PROTOCOL),
        ("maximum packet size 0", b"\0\x04MQTT\x05\x02\0\0\x05\x27\0\0\0\0\0\x01c", PROTOCOL),
        ("request problem information 2", b"\0\x04MQTT\x05\x02\0\0\x02\x17\x02\0\x01c", PROTOCOL),
        ("request response information 2", b"\0\x04MQTT\x05\x02\0\0\x02\x19\x02\0\x01c", PROTOCOL),
        ("session expiry twice", b"\0\x04MQTT\x05\x02\0\0\x0A\x11\0\0\0\x01\x11\0\0\0\x01\0\x01c", PROTOCOL),
        ("authentication data without a method", b"\0\x04MQTT\x05\x02\0\0\x04\x16\0\x01x\0\x01c", PROTOCOL),
        ("a property that is cut off", b"\0\x04MQTT\x05\x02\0\0\x03\x11\0\0\0\x01c", MALFORMED),
        ("properties longer than the packet", b"\0\x04MQTT\x05\x02\0\0\x7F\x11", MALFORMED),
        ("a property length that is not minimal", b"\0\x04MQTT\x05\x02\0\0\x80\0\0\x01c", MALFORMED),
        ("will delay in connect", b"\0\x04MQTT\x05\x02\0\0\x05\x18\0\0\0\x01\0\x01c", MALFORMED),
        ("session expiry in a will", b"\0\x04MQTT\x05\x06\0\0\0\0\x01c\x05\x11\0\0\0\x01\0\x01t\0\x01m", MALFORMED),
        ("a topic alias in a will", b"\0\x04MQTT\x05\x06\0\0\0\0\x01c\x03\x23\0\x01\0\x01t\0\x01m", MALFORMED),
        (
            "will delay twice",
            b"\0\x04MQTT\x05\x06\0\0\0\0\x01c\x0A\x18\0\0\0\x01\x18\0\0\0\x01\0\x01t\0\x01m",
            PROTOCOL,
        ),
        ("will payload format 2", b"\0\x04MQTT\x05\x06\0\0\0\0\x01c\x02\x01\x02\0\x01t\0\x01m", PROTOCOL),
    ]);
}

#[test]
fn bad_publishes() {
    const TOPIC: Reason = Reason::TOPIC_NAME_INVALID;
    check(&[
        ("QoS 3", V311, 0x36, b"\0\x01t\0\x01", MALFORMED),
        ("QoS 3", V5, 0x36, b"\0\x01t\0\x01\0", MALFORMED),
        ("DUP with QoS 0", V311, 0x38, b"\0\x01t", MALFORMED),
        ("packet identifier 0", V311, 0x32, b"\0\x01t\0\0", PROTOCOL),
        ("packet identifier 0", V5, 0x34, b"\0\x01t\0\0\0", PROTOCOL),
        ("no packet identifier", V311, 0x32, b"\0\x01t", MALFORMED),
        ("half a packet identifier", V311, 0x32, b"\0\x01t\x01", MALFORMED),
        ("nothing", V311, 0x30, b"", MALFORMED),
        ("a topic name that is cut off", V311, 0x30, b"\0\x02t", MALFORMED),
        ("an empty topic name in 3.1.1", V311, 0x30, b"\0\0x", MALFORMED),
        ("an empty topic name without an alias", V5, 0x30, b"\0\0\0x", PROTOCOL),
        ("a topic name with #", V311, 0x30, b"\0\x03a/#", TOPIC),
        ("a topic name with +", V5, 0x30, b"\0\x01+\0", TOPIC),
        ("a topic name with U+0000", V5, 0x30, b"\0\x01\0\0", MALFORMED),
        ("a topic name that is not UTF-8", V311, 0x30, b"\0\x01\xFF", MALFORMED),
        ("a topic name with a surrogate", V311, 0x30, b"\0\x03\xED\xBF\xBF", MALFORMED),
        ("no properties", V5, 0x30, b"\0\x01t", MALFORMED),
        ("topic alias 0", V5, 0x30, b"\0\x01t\x03\x23\0\0", Reason::TOPIC_ALIAS_INVALID),
        ("a topic alias twice", V5, 0x30, b"\0\x01t\x06\x23\0\x01\x23\0\x01", PROTOCOL),
        ("a subscription identifier", V5, 0x30, b"\0\x01t\x02\x0B\x01", PROTOCOL),
        ("payload format 2", V5, 0x30, b"\0\x01t\x02\x01\x02", PROTOCOL),
        ("payload format twice", V5, 0x30, b"\0\x01t\x04\x01\x01\x01\x01", PROTOCOL),
        ("expiry twice", V5, 0x30, b"\0\x01t\x0A\x02\0\0\0\x01\x02\0\0\0\x01", PROTOCOL),
        ("a response topic with a wildcard", V5, 0x30, b"\0\x01t\x04\x08\0\x01#", PROTOCOL),
        ("an empty response topic", V5, 0x30, b"\0\x01t\x03\x08\0\0", PROTOCOL),
        ("a content type that is not UTF-8", V5, 0x30, b"\0\x01t\x04\x03\0\x01\xFF", MALFORMED),
        ("half a user property", V5, 0x30, b"\0\x01t\x04\x26\0\x01a", MALFORMED),
        ("a property that ends outside its block", V5, 0x30, b"\0\x01t\x03\x03\0\x05abcde", MALFORMED),
        ("a property of connect", V5, 0x30, b"\0\x01t\x05\x11\0\0\0\x01", MALFORMED),
        ("a property identifier of two bytes", V5, 0x30, b"\0\x01t\x04\x81\x00\0\0", MALFORMED),
    ]);
}

#[test]
fn a_topic_name_deeper_than_we_allow_refuses_its_message_alone() {
    let name = "/".repeat(crate::topic::MAX_LEVELS);
    let body = [&(name.len() as u16).to_be_bytes(), name.as_bytes()].concat();
    let Ok(Packet::Publish(publish)) = decode(V311, packet(0x30, &body)) else { panic!("the connection goes on") };
    assert!(publish.is_too_deep && publish.topic.is_none());
}

#[test]
fn bad_acknowledgements() {
    check(&[
        ("PUBACK with identifier 0", V311, 0x40, b"\0\0", PROTOCOL),
        ("PUBREC with identifier 0", V5, 0x50, b"\0\0", PROTOCOL),
        ("PUBREL with identifier 0", V5, 0x62, b"\0\0", PROTOCOL),
        ("PUBCOMP with identifier 0", V311, 0x70, b"\0\0", PROTOCOL),
        ("nothing", V5, 0x40, b"", MALFORMED),
        ("half an identifier", V5, 0x40, b"\0", MALFORMED),
        ("a reason in 3.1.1", V311, 0x40, b"\0\x01\0", MALFORMED),
        ("a reason of another packet in PUBACK", V5, 0x40, b"\0\x01\x92", PROTOCOL),
        ("an unknown reason in PUBREC", V5, 0x50, b"\0\x01\x01", PROTOCOL),
        ("a reason of another packet in PUBREL", V5, 0x62, b"\0\x01\x10", PROTOCOL),
        ("a reason of another packet in PUBCOMP", V5, 0x70, b"\0\x01\x80", PROTOCOL),
        ("bytes after the properties", V5, 0x40, b"\0\x01\0\0x", MALFORMED),
        ("a property of another packet", V5, 0x40, b"\0\x01\0\x03\x23\0\x01", MALFORMED),
        ("a reason string twice", V5, 0x40, b"\0\x01\0\x08\x1F\0\x01a\x1F\0\x01b", PROTOCOL),
    ]);
}

#[test]
fn bad_subscriptions() {
    check(&[
        ("identifier 0", V311, 0x82, b"\0\0\0\x01a\0", PROTOCOL),
        ("identifier 0", V5, 0x82, b"\0\0\0\0\x01a\0", PROTOCOL),
        ("no filter", V311, 0x82, b"\0\x01", PROTOCOL),
        ("no filter", V5, 0x82, b"\0\x01\0", PROTOCOL),
        ("nothing", V5, 0x82, b"", MALFORMED),
        ("an empty filter", V311, 0x82, b"\0\x01\0\0\0", MALFORMED),
        ("an empty filter", V5, 0x82, b"\0\x01\0\0\x01a\0\0\0\0", MALFORMED),
        ("unsubscribe from an empty filter", V311, 0xA2, b"\0\x01\0\0", MALFORMED),
        ("unsubscribe from an empty filter", V5, 0xA2, b"\0\x01\0\0\0", MALFORMED),
        ("no options", V311, 0x82, b"\0\x01\0\x01a", MALFORMED),
        ("a filter that is cut off", V311, 0x82, b"\0\x01\0\x05a", MALFORMED),
        ("a filter that is not UTF-8", V311, 0x82, b"\0\x01\0\x01\xFF\0", MALFORMED),
        ("a filter with U+0000", V5, 0x82, b"\0\x01\0\0\x01\0\0", MALFORMED),
        ("QoS 3 in 3.1.1", V311, 0x82, b"\0\x01\0\x01a\x03", MALFORMED),
        ("reserved bits in 3.1.1", V311, 0x82, b"\0\x01\0\x01a\x04", MALFORMED),
        ("QoS 3 in 5", V5, 0x82, b"\0\x01\0\0\x01a\x03", PROTOCOL),
        ("reserved bits in 5", V5, 0x82, b"\0\x01\0\0\x01a\x40", MALFORMED),
        ("retain handling 3", V5, 0x82, b"\0\x01\0\0\x01a\x30", PROTOCOL),
        ("no-local on a shared subscription", V5, 0x82, b"\0\x01\0\0\x0A$share/g/a\x04", PROTOCOL),
        ("subscription identifier 0", V5, 0x82, b"\0\x01\x02\x0B\0\0\x01a\0", PROTOCOL),
        ("subscription identifier twice", V5, 0x82, b"\0\x01\x04\x0B\x01\x0B\x01\0\x01a\0", PROTOCOL),
        ("a subscription identifier that is not minimal", V5, 0x82, b"\0\x01\x03\x0B\x81\0\0\x01a\0", MALFORMED),
        ("a property of another packet", V5, 0x82, b"\0\x01\x03\x23\0\x01\0\x01a\0", MALFORMED),
        ("unsubscribe with identifier 0", V311, 0xA2, b"\0\0\0\x01a", PROTOCOL),
        ("unsubscribe without a filter", V311, 0xA2, b"\0\x01", PROTOCOL),
        ("unsubscribe without a filter", V5, 0xA2, b"\0\x01\0", PROTOCOL),
        ("unsubscribe of one byte", V311, 0xA2, b"\0", MALFORMED),
        ("unsubscribe that is cut off", V311, 0xA2, b"\0\x01\0\x02a", MALFORMED),
        ("unsubscribe with a subscription identifier", V5, 0xA2, b"\0\x01\x02\x0B\x01\0\x01a", MALFORMED),
    ]);
}

#[test]
fn bad_pings_and_disconnects() {
    check(&[
        ("PINGREQ with a body", V311, 0xC0, b"x", MALFORMED),
        ("DISCONNECT with a body in 3.1.1", V311, 0xE0, b"\0", MALFORMED),
        ("a reason that only a server sends", V5, 0xE0, b"\x8B", PROTOCOL),
        ("an unknown reason", V5, 0xE0, b"\x01", PROTOCOL),
        ("bytes after the properties", V5, 0xE0, b"\0\0x", MALFORMED),
        ("session expiry twice", V5, 0xE0, b"\0\x0A\x11\0\0\0\x01\x11\0\0\0\x01", PROTOCOL),
        ("a server reference", V5, 0xE0, b"\0\x04\x1C\0\x01a", PROTOCOL),
        ("a property of another packet", V5, 0xE0, b"\0\x02\x0B\x01", MALFORMED),
    ]);
}

#[test]
fn the_beginning_of_a_connect_names_the_version_to_refuse_it_in() {
    for (beginning, version) in [
        (&b"\x10\xff\x7f\x00\x04MQTT\x05"[..], Some(Version::V5)),
        (b"\x10\xff\x7f\x00\x04MQTT\x04\x02", Some(Version::V311)),
        (b"\x10\xff\x7f\x00\x04MQ", None),
        (b"\x30\xff\x7f\x00\x04MQTT\x05", None),
    ] {
        let mut codec = Codec::new(1 << 20);
        codec.learn_version(beginning);
        assert_eq!(codec.version(), version, "{beginning:?}");
    }
}
