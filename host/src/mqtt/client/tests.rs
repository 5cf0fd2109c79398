//! Both codecs against rumqttc's reading of the same bytes, and against bytes that no server should send.

use std::sync::Arc;

use proptest::prelude::*;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use super::*;
use crate::message::{Message, Properties};
use crate::mqtt::Password;
use crate::topic::TopicName;

const BOTH: [Version; 2] = [Version::V311, Version::V5];

fn decode_all(protocol: Version, bytes: &[u8]) -> Result<Option<Incoming>, DecodeError> {
    decode(protocol, &mut BytesMut::from(bytes))
}

fn publish(message: Message) -> Publish {
    Publish {
        packet_id: if message.qos == QoS::AtMostOnce { 0 } else { 7 },
        dup: message.qos > QoS::AtMostOnce,
        message,
    }
}

fn message() -> impl Strategy<Value = Message> {
    let text = "[a-z]{0,40}";
    let properties =
        (any::<Option<bool>>(), any::<Option<u32>>(), text, text, prop::collection::vec((text, text), 0..4));
    let properties = properties.prop_map(|(payload_is_utf8, expiry, content, response, user)| Properties {
        payload_is_utf8,
        expiry,
        content_type: (!content.is_empty()).then_some(content),
        response_topic: (!response.is_empty()).then_some(response),
        correlation_data: user.first().map(|_| bytes::Bytes::from_static(b"\0\xFF")),
        user,
    });
    let payload = prop::collection::vec(any::<u8>(), 0..300);
    ("[a-zé/]{1,20}", payload, 0..3_u8, any::<bool>(), prop::option::of(properties)).prop_map(
        |(topic, payload, qos, retain, properties)| Message {
            retain,
            properties: properties.map(Arc::new),
            ..Message::new(TopicName::parse(&topic).unwrap(), payload, QoS::from_bits(qos).unwrap())
        },
    )
}

proptest! {
    #[test]
    fn a_publish_of_version_5_carries_everything(message in message()) {
        let mut bytes = BytesMut::new();
        encode(Version::V5, Outgoing::Publish(&publish(message.clone())), MAX_OUTGOING, &mut bytes).unwrap();
        let v5::Packet::Publish(read) = v5::Packet::read(&mut bytes, None).unwrap() else { panic!("not a PUBLISH") };
        prop_assert_eq!(read.topic.as_ref(), message.topic.as_str().as_bytes());
        prop_assert_eq!((&read.payload, read.qos as u8, read.retain), (&message.payload, message.qos as u8, message.retain));
        let (sent, read) = (message.properties.unwrap_or_default(), read.properties.unwrap_or_default());
        prop_assert_eq!(sent.payload_is_utf8, read.payload_format_indicator.map(|format| format == 1));
        prop_assert_eq!(sent.expiry, read.message_expiry_interval);
        prop_assert_eq!(&sent.content_type, &read.content_type);
        prop_assert_eq!(&sent.response_topic, &read.response_topic);
        prop_assert_eq!(&sent.correlation_data, &read.correlation_data);
        prop_assert_eq!(&sent.user, &read.user_properties);
    }

    #[test]
    fn a_publish_of_version_3_1_1_drops_properties_and_nothing_else(message in message()) {
        let mut bytes = BytesMut::new();
        encode(Version::V311, Outgoing::Publish(&publish(message.clone())), MAX_OUTGOING, &mut bytes).unwrap();
        let read = v4::Packet::read(&mut bytes, usize::MAX).unwrap();
        let v4::Packet::Publish(read) = read else { panic!("not a PUBLISH") };
        prop_assert_eq!(read.topic.as_str(), message.topic.as_str());
        prop_assert_eq!((&read.payload, read.qos as u8, read.retain), (&message.payload, message.qos as u8, message.retain));
        prop_assert_eq!((read.pkid, read.dup), if message.qos == QoS::AtMostOnce { (0, false) } else { (7, true) });
    }

    #[test]
    fn no_bytes_of_a_server_can_panic_the_decoder(kind in 0..16_u8, flags in 0..16_u8, body in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut bytes = vec![kind << 4 | flags, body.len() as u8];
        bytes.extend(body);
        for protocol in BOTH {
            let _ = decode_all(protocol, &bytes);
        }
    }

    #[test]
    fn a_packet_in_pieces_is_the_same_packet(cut in 1..5_usize) {
        for protocol in BOTH {
            let bytes = [0x50, 2, 0, 9, 0x40, 2, 0, 3];
            let mut input = BytesMut::from(&bytes[..cut]);
            let mut packets: Vec<Incoming> = decode(protocol, &mut input).unwrap().into_iter().collect();
            input.extend_from_slice(&bytes[cut..]);
            while let Some(packet) = decode(protocol, &mut input).unwrap() {
                packets.push(packet);
            }
            let ack = |packet_id| Ack { packet_id, reason: Reason::SUCCESS };
            prop_assert_eq!(packets, [Incoming::PubRec(ack(9)), Incoming::PubAck(ack(3))]);
        }
    }
}

/// Golden bytes: a decoder of ours reads what we write, and would share its mistakes.
#[test]
fn a_connect_is_written_field_by_field() {
    let connect = |version| Connect {
        clean_start: false,
        keep_alive: 60,
        username: Some("u".into()),
        password: Some(Password(bytes::Bytes::from_static(b"\xFF\0"))),
        session_expiry: Some(9),
        ..Connect::new(version, "id")
    };
    let written = |version| {
        let mut out = BytesMut::new();
        encode(version, Outgoing::Connect(&connect(version)), MAX_OUTGOING, &mut out).unwrap();
        out
    };
    assert_eq!(written(Version::V311)[..], *b"\x10\x15\0\x04MQTT\x04\xC0\0\x3C\0\x02id\0\x01u\0\x02\xFF\0");
    let expected = b"\x10\x1B\0\x04MQTT\x05\xC0\0\x3C\x05\x11\0\0\0\x09\0\x02id\0\x01u\0\x02\xFF\0";
    assert_eq!(written(Version::V5)[..], *expected);
}

#[test]
fn reason_codes_are_those_on_the_wire() {
    let reason = |bytes: &[u8]| match decode_all(Version::V5, bytes).unwrap().unwrap() {
        Incoming::PubAck(ack) | Incoming::PubRec(ack) | Incoming::PubComp(ack) => ack.reason,
        Incoming::ConnAck(ack) => ack.reason,
        Incoming::Disconnect { reason, .. } => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(&[0x40, 3, 0, 1, 0x10]), Reason::NO_MATCHING_SUBSCRIBERS);
    assert_eq!(reason(&[0x50, 4, 0, 1, 0x91, 0]), Reason::PACKET_IDENTIFIER_IN_USE);
    assert_eq!(reason(&[0x70, 3, 0, 1, 0x92]), Reason::PACKET_IDENTIFIER_NOT_FOUND);
    assert_eq!(reason(&[0x20, 3, 0, 0x87, 0]), Reason::NOT_AUTHORIZED);
    assert_eq!(reason(&[0xE0, 2, 0x8E, 0]), Reason::SESSION_TAKEN_OVER);
    assert_eq!(reason(&[0xE0, 1, 0x8B]), Reason::SERVER_SHUTTING_DOWN, "a DISCONNECT without properties is legal");
    assert_eq!(reason(&[0xE0, 0]), Reason::SUCCESS);
    assert_eq!(reason(&[0x20, 2, 0, 1]), Reason::UNSUPPORTED_PROTOCOL_VERSION, "a server of 3.1.1 refuses version 5");
}

#[test]
fn the_terms_of_a_connack_are_read() {
    let bytes = [0x20, 16, 1, 0, 13, 0x21, 0, 5, 0x24, 1, 0x25, 0, 0x27, 0, 0, 1, 0, 0x13, 0, 9];
    let mut bytes = bytes.to_vec();
    bytes[1] = (bytes.len() - 2) as u8;
    bytes[4] = (bytes.len() - 5) as u8;
    let expected = ConnAck {
        session_present: true,
        receive_maximum: Some(5),
        maximum_qos: Some(QoS::AtLeastOnce),
        retain_available: Some(false),
        maximum_packet_size: Some(256),
        server_keep_alive: Some(9),
        ..ConnAck::default()
    };
    assert_eq!(decode_all(Version::V5, &bytes).unwrap(), Some(Incoming::ConnAck(Box::new(expected))));
}

#[test]
fn packets_that_a_server_must_not_send_us_end_the_connection() {
    for kind in [0, 1, 8, 10, 12, 15_u8] {
        for protocol in BOTH {
            assert!(
                matches!(
                    decode_all(protocol, &[kind << 4, 0]),
                    Err(DecodeError { reason: Reason::PROTOCOL_ERROR, .. })
                ),
                "{kind}"
            );
        }
    }
    assert!(matches!(decode_all(Version::V311, &[0xE0, 0]), Err(DecodeError { reason: Reason::PROTOCOL_ERROR, .. })));
}

#[test]
fn flags_that_are_reserved_end_the_connection() {
    for first in [0x21, 0x41, 0x52, 0x60, 0x63, 0x74, 0xD8] {
        for protocol in BOTH {
            let body: &[u8] = if first >> 4 == 13 { &[] } else { &[0, 1] };
            let packet = [&[first, body.len() as u8], body].concat();
            let refused = decode_all(protocol, &packet).map_err(|error| error.reason);
            assert_eq!(refused, Err(Reason::MALFORMED_PACKET), "{first:#x}");
        }
    }
    assert_eq!(decode_all(Version::V5, &[0xE1, 0]).map_err(|error| error.reason), Err(Reason::MALFORMED_PACKET));
    assert_eq!(decode_all(Version::V5, &[0x62, 2, 0, 1]), Ok(Some(Incoming::PubRel(1))));
}

#[test]
fn what_does_not_fit_leaves_the_buffer_as_it_was() {
    let topic = TopicName::parse("t").unwrap();
    let large = publish(Message::new(topic.clone(), vec![0; 100], QoS::AtLeastOnce));
    let mut long = Message::new(topic, "", QoS::AtLeastOnce);
    long.properties =
        Some(Arc::new(Properties { user: vec![("k".into(), "v".repeat(70_000))], ..Properties::default() }));
    for protocol in BOTH {
        let mut out = BytesMut::from(&b"before"[..]);
        let too_large = encode(protocol, Outgoing::Publish(&large), 50, &mut out);
        assert!(matches!(too_large, Err(EncodeError::TooLarge { max: 50, .. })));
        assert_eq!(&out[..], b"before");
    }
    let mut out = BytesMut::from(&b"before"[..]);
    let too_long = encode(Version::V5, Outgoing::Publish(&publish(long.clone())), MAX_OUTGOING, &mut out);
    assert_eq!((too_long, &out[..]), (Err(EncodeError::Impossible), &b"before"[..]));
    // Version 3.1.1 has no properties, so that nothing is too long there.
    assert!(encode(Version::V311, Outgoing::Publish(&publish(long)), MAX_OUTGOING, &mut out).is_ok());
}
