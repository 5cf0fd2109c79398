//! What is accepted, and what it becomes.

use std::sync::Arc;

use super::*;
use crate::message::{Message, Properties, QoS};
use crate::topic::TopicName;

fn topic(text: &str) -> TopicName {
    TopicName::parse(text).unwrap()
}

fn publish(version: Version, first: u8, body: &[u8]) -> Publish {
    match decode(version, packet(first, body)) {
        Ok(Packet::Publish(publish)) => publish,
        other => panic!("not a PUBLISH: {other:?}"),
    }
}

#[test]
fn a_connect_of_3_1_1_with_everything() {
    let connect = connect(b"\0\x04MQTT\x04\xEE\0\x3C\0\x02id\0\x03a/b\0\x03bye\0\x01u\0\x02\xFF\0").unwrap();
    let mut message = Message::new(topic("a/b"), &b"bye"[..], QoS::AtLeastOnce);
    message.retain = true;
    assert_eq!(
        connect,
        Connect {
            keep_alive: 60,
            username: Some("u".into()),
            password: Some(Password(Bytes::from_static(b"\xFF\0"))),
            will: Some(Will { message, delay: 0 }),
            ..Connect::new(V311, "id")
        }
    );
}

#[test]
fn a_connect_of_5_with_everything() {
    let own = b"\x11\0\0\0\x0A\x21\0\x05\x27\0\0\x10\0\x22\0\x07\x19\x01\x17\0\x15\0\x01m\x16\0\x01d\x26\0\0\0\0";
    let will = b"\x18\0\0\0\x09\x01\x01\x02\0\0\0\x08\x03\0\x01c\x08\0\x01r\x09\0\x02\xFF\xFE\x26\0\x01k\0\x01v";
    let body = [&b"\0\x04MQTT\x05\xC6\0\0"[..], &block(own), b"\0\0", &block(will), b"\0\x01t\0\0", b"\0\x01u\0\0"];
    let connect = connect(&body.concat()).unwrap();
    assert_eq!((connect.session_expiry, connect.receive_maximum), (Some(10), Some(5)));
    assert_eq!((connect.maximum_packet_size, connect.topic_alias_maximum), (Some(4096), 7));
    assert_eq!(connect.authentication_method.as_deref(), Some("m"));
    assert_eq!(connect.user_properties, [(String::new(), String::new())]);
    assert_eq!((connect.username.as_deref(), connect.password), (Some("u"), Some(Password(Bytes::new()))));
    let will = connect.will.unwrap();
    assert_eq!((will.delay, will.message.topic), (9, topic("t")));
    let properties = Properties {
        payload_is_utf8: Some(true),
        expiry: Some(8),
        content_type: Some("c".into()),
        response_topic: Some("r".into()),
        correlation_data: Some(Bytes::from_static(b"\xFF\xFE")),
        user: vec![("k".into(), "v".into())],
    };
    assert_eq!(will.message.properties, Some(Arc::new(properties)));
}

#[test]
fn a_password_without_a_user_name_is_a_token_in_mqtt_5() {
    let connect = connect(b"\0\x04MQTT\x05\x42\0\0\0\0\0\0\x03\xFFtk").unwrap();
    assert_eq!((connect.username, connect.password), (None, Some(Password(Bytes::from_static(b"\xFFtk")))));
}

#[test]
fn a_password_is_not_drawn_with_its_packet() {
    let connect = connect(b"\0\x04MQTT\x05\x42\0\0\0\0\0\0\x06secret").unwrap();
    assert_eq!(connect.password, Some(Password(Bytes::from_static(b"secret"))));
    assert!(!format!("{connect:?}").contains("secret"));
}

#[test]
fn an_empty_user_name_is_not_a_missing_one() {
    let connect = connect(b"\0\x04MQTT\x04\x82\0\0\0\0\0\0").unwrap();
    assert_eq!((connect.username.as_deref(), connect.password), (Some(""), None));
}

#[test]
fn a_payload_is_a_slice_of_the_read_buffer() {
    for (version, body) in [(V311, &b"\0\x01t\0\x07payload"[..]), (V5, b"\0\x01t\0\x07\0payload")] {
        let mut buffer = packet(0x32, body);
        let range = buffer.as_ptr_range();
        let Ok(Some(Packet::Publish(publish))) = connected(version).decode(&mut buffer) else { panic!("no PUBLISH") };
        assert_eq!(&publish.payload[..], b"payload");
        assert!(range.contains(&publish.payload.as_ptr()), "{version:?}");
    }
    let mut buffer = packet(0x30, b"\0\x01t\x02\x01\x01payload");
    let range = buffer.as_ptr_range();
    let Ok(Some(Packet::Publish(publish))) = connected(V5).decode(&mut buffer) else { panic!("no PUBLISH") };
    assert_eq!(&publish.payload[..], b"payload");
    assert!(range.contains(&publish.payload.as_ptr()), "with properties");
}

#[test]
fn flags_and_identifier_of_a_publish() {
    let publish = publish(V311, 0x3D, b"\0\x03a/b\x12\x34");
    assert_eq!((publish.dup, publish.qos, publish.retain), (true, QoS::ExactlyOnce, true));
    assert_eq!((publish.packet_id, publish.topic, publish.payload), (0x1234, Some(topic("a/b")), Bytes::new()));
}

#[test]
fn an_alias_stands_for_the_name_and_is_not_a_property_of_the_message() {
    let publish = publish(V5, 0x30, b"\0\0\x03\x23\0\x07x");
    assert_eq!((publish.topic, publish.topic_alias, publish.properties), (None, Some(7), None));
    assert_eq!(&publish.payload[..], b"x");
}

#[test]
fn user_properties_keep_their_order_and_may_repeat() {
    let publish = publish(V5, 0x30, b"\0\x01t\x15\x26\0\x01b\0\x011\x26\0\x01a\0\x012\x26\0\x01b\0\x013");
    let expected = [("b", "1"), ("a", "2"), ("b", "3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(publish.properties.unwrap().user, expected);
}

#[test]
fn a_payload_that_is_not_the_text_it_claims_to_be_passes() {
    let publish = publish(V5, 0x30, b"\0\x01t\x02\x01\x01\xFF");
    assert_eq!(publish.properties.unwrap().payload_is_utf8, Some(true));
    assert_eq!(&publish.payload[..], b"\xFF");
}

#[test]
fn acknowledgements_in_each_of_their_lengths() {
    let ack = |reason| Ack { packet_id: 7, reason };
    for (body, reason) in [
        (&b"\0\x07"[..], Reason::SUCCESS),
        (b"\0\x07\x10", Reason::NO_MATCHING_SUBSCRIBERS),
        (b"\0\x07\x87\0", Reason::NOT_AUTHORIZED),
        (b"\0\x07\x97\x04\x1F\0\x01a", Reason::QUOTA_EXCEEDED),
        (b"\0\x07\0\x0E\x26\0\x01k\0\x01v\x26\0\x01k\0\x01v", Reason::SUCCESS),
    ] {
        assert_eq!(decode(V5, packet(0x40, body)), Ok(Packet::PubAck(ack(reason))));
        assert_eq!(decode(V5, packet(0x50, body)), Ok(Packet::PubRec(ack(reason))));
    }
    for (body, reason) in [(&b"\0\x07\x92"[..], Reason::PACKET_IDENTIFIER_NOT_FOUND), (b"\0\x07", Reason::SUCCESS)] {
        assert_eq!(decode(V5, packet(0x62, body)), Ok(Packet::PubRel(ack(reason))));
        assert_eq!(decode(V5, packet(0x70, body)), Ok(Packet::PubComp(ack(reason))));
    }
    assert_eq!(decode(V311, packet(0x62, b"\0\x07")), Ok(Packet::PubRel(ack(Reason::SUCCESS))));
}

#[test]
fn a_disconnect_of_any_length_is_complete() {
    let disconnect = |reason, session_expiry, text: Option<&str>| {
        Ok(Packet::Disconnect(Disconnect { reason, session_expiry, reason_string: text.map(str::to_owned) }))
    };
    let with_will = Reason::DISCONNECT_WITH_WILL;
    assert_eq!(decode(V311, packet(0xE0, b"")), disconnect(Reason::SUCCESS, None, None));
    assert_eq!(decode(V5, packet(0xE0, b"")), disconnect(Reason::SUCCESS, None, None));
    assert_eq!(decode(V5, packet(0xE0, b"\x04")), disconnect(with_will, None, None));
    assert_eq!(decode(V5, packet(0xE0, b"\x04\0")), disconnect(with_will, None, None));
    let full = b"\x04\x10\x11\0\0\0\x09\x1F\0\x01x\x26\0\x01k\0\x01v".to_vec();
    let full = [&full[..1], &block(&full[2..])].concat();
    assert_eq!(decode(V5, packet(0xE0, &full)), disconnect(with_will, Some(9), Some("x")));
}

#[test]
fn a_subscribe_of_5_with_options_identifier_and_user_properties_in_any_order() {
    let subscribe = |properties: &[u8]| {
        let body = [&b"\0\x05"[..], &block(properties), b"\0\x01a\x2E\0\x01b\x11"].concat();
        decode(V5, packet(0x82, &body))
    };
    let options = |qos, flag, retain_handling| SubscribeOptions {
        qos,
        no_local: flag,
        retain_as_published: flag,
        retain_handling,
    };
    let expected = Ok(Packet::Subscribe(Subscribe {
        packet_id: 5,
        subscription_id: Some(200),
        requests: vec![
            SubscribeRequest {
                filter: "a".into(),
                options: options(QoS::ExactlyOnce, true, RetainHandling::DoNotSend),
            },
            SubscribeRequest {
                filter: "b".into(),
                options: options(QoS::AtLeastOnce, false, RetainHandling::SendIfNew),
            },
        ],
    }));
    assert_eq!(subscribe(b"\x0B\xC8\x01\x26\0\0\0\0\x26\0\0\0\0"), expected);
    assert_eq!(subscribe(b"\x26\0\0\0\0\x26\0\0\0\0\x0B\xC8\x01"), expected);
    assert_eq!(subscribe(b"\x26\0\0\0\0\x0B\xC8\x01\x26\0\0\0\0"), expected);
}

#[test]
fn a_badly_formed_filter_is_passed_on_to_fail_alone() {
    for filter in ["/", "a/#/b", "a+", "$share/g"] {
        let text = [&(filter.len() as u16).to_be_bytes(), filter.as_bytes()].concat();
        let body = [&b"\0\x01"[..], &text, b"\0"].concat();
        let Ok(Packet::Subscribe(subscribe)) = decode(V311, packet(0x82, &body)) else { panic!("{filter}") };
        assert_eq!(subscribe.requests[0].filter, filter);
    }
}

#[test]
fn unsubscribe_and_ping() {
    let unsubscribe = Unsubscribe { packet_id: 9, filters: vec!["a".into(), "b/#".into()] };
    let v311 = decode(V311, packet(0xA2, b"\0\x09\0\x01a\0\x03b/#"));
    let v5 = decode(V5, packet(0xA2, b"\0\x09\x05\x26\0\0\0\0\0\x01a\0\x03b/#"));
    assert_eq!(v311, Ok(Packet::Unsubscribe(unsubscribe)));
    assert_eq!(v5, v311);
    assert_eq!(decode(V5, packet(0xC0, b"")), Ok(Packet::PingReq));
}
