//! What is written, held against the bytes of the specification and against rumqttc, a decoder of somebody else.

use std::sync::Arc;

use rumqttc::mqttbytes::v4 as c4;
use rumqttc::v5::mqttbytes::v5 as c5;

use super::*;
use crate::message::{Message, Properties, QoS};
use crate::topic::TopicName;

fn message() -> Message {
    let mut message = Message::new(TopicName::parse("a/b").unwrap(), &b"payload"[..], QoS::ExactlyOnce);
    message.retain = true;
    message
}

fn properties() -> Properties {
    Properties {
        payload_is_utf8: Some(true),
        expiry: Some(9),
        content_type: Some("text".into()),
        response_topic: Some("re/ply".into()),
        correlation_data: Some(Bytes::from_static(b"\xFF")),
        user: vec![("k".into(), "1".into()), ("k".into(), "2".into())],
    }
}

fn list(reasons: &[Reason]) -> ReasonList {
    ReasonList { packet_id: 7, reasons: reasons.to_vec() }
}

#[test]
fn acknowledgements_are_short_when_they_can_be() {
    let (good, bad) =
        (Ack { packet_id: 7, reason: Reason::SUCCESS }, Ack { packet_id: 7, reason: Reason::NOT_AUTHORIZED });
    assert_eq!(encode(V5, &Packet::PubAck(good))[..], *b"\x40\x02\0\x07");
    assert_eq!(encode(V5, &Packet::PubRec(good))[..], *b"\x50\x02\0\x07");
    assert_eq!(encode(V5, &Packet::PubRel(good))[..], *b"\x62\x02\0\x07");
    assert_eq!(encode(V5, &Packet::PubComp(good))[..], *b"\x70\x02\0\x07");
    assert_eq!(encode(V5, &Packet::PubAck(bad))[..], *b"\x40\x03\0\x07\x87");
    assert_eq!(encode(V311, &Packet::PubAck(bad))[..], *b"\x40\x02\0\x07");
    assert_eq!(encode(V5, &Packet::PingResp)[..], *b"\xD0\0");
}

#[test]
fn a_server_disconnects_in_mqtt_5_only() {
    let plain = Packet::Disconnect(Disconnect { reason: Reason::SESSION_TAKEN_OVER, ..Default::default() });
    let told = Packet::Disconnect(Disconnect {
        reason: Reason::PROTOCOL_ERROR,
        session_expiry: Some(5),
        reason_string: Some("why".into()),
    });
    assert_eq!(encode(V5, &plain)[..], *b"\xE0\x01\x8E");
    assert_eq!(encode(V5, &told)[..], *b"\xE0\x08\x82\x06\x1F\0\x03why");
    assert!(encode(V311, &told).is_empty());
}

#[test]
fn every_refusal_has_a_connack_in_mqtt_5_and_in_3_1_1_where_a_return_code_fits() {
    for code in 0..=0xFF {
        let connack =
            Packet::ConnAck(Box::new(ConnAck { session_present: true, reason: Reason(code), ..Default::default() }));
        let expected = match code {
            0 => &[0x20, 2, 1, 0][..],
            0x84 => &[0x20, 2, 0, 1],
            0x85 => &[0x20, 2, 0, 2],
            0x80 | 0x83 | 0x88 | 0x89 | 0x8B | 0x97 | 0x9F => &[0x20, 2, 0, 3],
            0x86 => &[0x20, 2, 0, 4],
            0x87 => &[0x20, 2, 0, 5],
            _ => &[],
        };
        assert_eq!(encode(V311, &connack)[..], *expected, "{code:#x}");
        let v5 = encode(V5, &connack);
        assert_eq!(v5[..3], [0x20, 3, (code == 0).into()]);
        assert!(code == 0 || v5[3] >= 0x80, "{code:#x} is a refusal");
    }
}

#[test]
fn a_connack_for_an_unknown_version_is_one_that_every_client_reads() {
    let connack =
        Packet::ConnAck(Box::new(ConnAck { reason: Reason::UNSUPPORTED_PROTOCOL_VERSION, ..Default::default() }));
    let mut out = BytesMut::new();
    Codec::new(MAX).encode(&connack, &mut out);
    assert_eq!(out[..], *b"\x20\x02\0\x01");
}

#[test]
fn the_properties_of_a_connack_arrive() {
    let connack = ConnAck {
        session_present: true,
        assigned_client_id: Some("id".into()),
        session_expiry: Some(1),
        receive_maximum: Some(2),
        maximum_packet_size: Some(3),
        topic_alias_maximum: Some(4),
        server_keep_alive: Some(5),
        reason_string: Some("hello".into()),
        ..Default::default()
    };
    let mut bytes = encode(V5, &Packet::ConnAck(Box::new(connack)));
    let Ok(c5::Packet::ConnAck(read)) = c5::Packet::read(&mut bytes, None) else { panic!("no CONNACK") };
    let properties = read.properties.unwrap();
    assert!(read.session_present);
    assert_eq!(properties.assigned_client_identifier.as_deref(), Some("id"));
    assert_eq!((properties.session_expiry_interval, properties.receive_max), (Some(1), Some(2)));
    assert_eq!((properties.max_packet_size, properties.topic_alias_max), (Some(3), Some(4)));
    assert_eq!((properties.server_keep_alive, properties.reason_string.as_deref()), (Some(5), Some("hello")));
}

#[test]
fn subscription_answers_speak_the_language_of_their_version() {
    let reasons = [
        Reason::SUCCESS,
        Reason::GRANTED_QOS_1,
        Reason::GRANTED_QOS_2,
        Reason::UNSPECIFIED_ERROR,
        Reason::NOT_AUTHORIZED,
        Reason::TOPIC_FILTER_INVALID,
        Reason::QUOTA_EXCEEDED,
        Reason::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
        Reason::KEEP_ALIVE_TIMEOUT,
    ];
    let suback = Packet::SubAck(list(&reasons));
    assert_eq!(encode(V311, &suback)[..], *b"\x90\x0B\0\x07\0\x01\x02\x80\x80\x80\x80\x80\x80");
    assert_eq!(encode(V5, &suback)[..], *b"\x90\x0C\0\x07\0\0\x01\x02\x80\x87\x8F\x97\x9E\x80");
    let unsuback = Packet::UnsubAck(list(&[Reason::SUCCESS, Reason::NO_SUBSCRIPTION_EXISTED, Reason::SERVER_BUSY]));
    assert_eq!(encode(V311, &unsuback)[..], *b"\xB0\x02\0\x07");
    assert_eq!(encode(V5, &unsuback)[..], *b"\xB0\x06\0\x07\0\0\x11\x80");
}

#[test]
fn a_publish_of_3_1_1_is_read_by_another_decoder_and_has_no_properties() {
    let mut with_properties = message();
    with_properties.properties = Some(Arc::new(properties()));
    let mut bytes = encode(V311, &Packet::Publish(Publish::outgoing(with_properties, 7, true)));
    let Ok(c4::Packet::Publish(read)) = c4::Packet::read(&mut bytes, MAX) else { panic!("no PUBLISH") };
    assert_eq!((read.dup, read.qos as u8, read.retain, read.pkid), (true, 2, true, 7));
    assert_eq!((read.topic.as_str(), &read.payload[..]), ("a/b", &b"payload"[..]));
}

#[test]
fn a_publish_of_5_is_read_by_another_decoder_with_all_its_properties() {
    let mut full = message();
    full.properties = Some(Arc::new(properties()));
    let mut publish = Publish::outgoing(full, 7, false);
    publish.subscription_ids = vec![1, 300];
    publish.topic_alias = Some(3);
    let mut bytes = encode(V5, &Packet::Publish(publish));
    let Ok(c5::Packet::Publish(read)) = c5::Packet::read(&mut bytes, None) else { panic!("no PUBLISH") };
    let (ours, theirs) = (properties(), read.properties.unwrap());
    assert_eq!((read.dup, read.qos as u8, read.retain, read.pkid), (false, 2, true, 7));
    assert_eq!((&read.topic[..], &read.payload[..]), (&b"a/b"[..], &b"payload"[..]));
    assert_eq!((theirs.payload_format_indicator, theirs.message_expiry_interval), (Some(1), Some(9)));
    assert_eq!((theirs.content_type, theirs.response_topic), (ours.content_type, ours.response_topic));
    assert_eq!((theirs.correlation_data, theirs.user_properties), (ours.correlation_data, ours.user));
    assert_eq!((theirs.subscription_identifiers, theirs.topic_alias), (vec![1, 300], Some(3)));
}

#[test]
fn many_packets_are_appended_before_one_write() {
    let codec = connected(V311);
    let mut out = BytesMut::new();
    codec.encode(&Packet::PingResp, &mut out);
    codec.encode(&Packet::PubAck(Ack { packet_id: 1, reason: Reason::SUCCESS }), &mut out);
    assert_eq!(out[..], *b"\xD0\0\x40\x02\0\x01");
}

#[test]
fn a_message_that_mqtt_cannot_carry_fits_no_peer_and_is_not_written() {
    let long = "x".repeat(wire::MAX_FIELD + 1);
    let too_long = [
        Properties { content_type: Some(long.clone()), ..Default::default() },
        Properties { response_topic: Some(long.clone()), ..Default::default() },
        Properties { correlation_data: Some(Bytes::from(long.clone())), ..Default::default() },
        Properties { user: vec![(String::new(), long)], ..Default::default() },
    ];
    for properties in too_long {
        let mut message = message();
        message.properties = Some(Arc::new(properties));
        let publish = Packet::Publish(Publish::outgoing(message, 7, false));
        assert_eq!(connected(V5).size(&publish), usize::MAX);
        assert!(encode(V5, &publish).is_empty());
        assert!(connected(V311).size(&publish) < 100, "3.1.1 leaves the properties out");
    }
}

#[test]
fn packets_that_only_a_client_sends_are_not_written() {
    let subscribe = Packet::Subscribe(Subscribe { packet_id: 1, subscription_id: None, requests: Vec::new() });
    for packet in [Packet::PingReq, subscribe] {
        assert!(encode(V5, &packet).is_empty());
    }
}
