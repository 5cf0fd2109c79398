//! MQTT 3.1 (`MQIsdp`), served as 3.1.1 where a listener asks for it. Cited by the sections of its specification.

use super::*;

const CONNECT: &[u8] = b"\0\x06MQIsdp\x03\x02\0\x0A\0\x01c";

fn codec() -> Codec {
    Codec::new(MAX).with_mqtt_3_1(Mqtt31::Served)
}

/// One that has decoded the CONNECT of 3.1.
fn greeted() -> Codec {
    let mut codec = codec();
    assert!(matches!(codec.decode(&mut packet(0x10, CONNECT)), Ok(Some(Packet::Connect(_)))));
    codec
}

fn taken(body: &[u8]) -> Connect {
    match codec().decode(&mut packet(0x10, body)) {
        Ok(Some(Packet::Connect(connect))) => *connect,
        other => panic!("not a CONNECT: {other:?}"),
    }
}

fn written(packet: &Packet) -> BytesMut {
    let mut out = BytesMut::new();
    greeted().encode(packet, &mut out);
    out
}

#[test]
fn its_connect_is_one_of_3_1_1_that_says_so() {
    let connect = taken(CONNECT);
    assert_eq!((connect.version, connect.is_3_1, connect.client_id.as_str()), (V311, true, "c"));
}

#[test]
fn without_the_setting_it_is_refused_in_its_language_and_the_line_that_serves_it_is_named() {
    let mut codec = Codec::new(MAX);
    let error = codec.decode(&mut packet(0x10, CONNECT)).unwrap_err();
    assert_eq!((error.reason, codec.version()), (Reason::UNSUPPORTED_PROTOCOL_VERSION, Some(V311)));
    assert!(error.detail.contains("mqtt_3_1 = true"), "{error}");
}

#[test]
fn names_and_levels_that_nobody_ever_had_are_refused_with_the_setting_too() {
    for body in
        [&b"\0\x06MQIsdp\x04\x02\0\0\0\x01c"[..], b"\0\x06MQIsdp\x83\x02\0\0\0\x01c", b"\0\x04MQTT\x03\x02\0\0\0\x01c"]
    {
        let refused = codec().decode(&mut packet(0x10, body));
        assert_eq!(refused.unwrap_err().reason, Reason::UNSUPPORTED_PROTOCOL_VERSION, "{body:?}");
    }
}

#[test]
fn a_user_name_or_password_that_is_announced_may_be_missing() {
    let flags = |flags: u8, rest: &[u8]| taken(&[b"\0\x06MQIsdp\x03", &[flags][..], b"\0\x0A\0\x01c", rest].concat());
    assert_eq!(flags(0b1100_0010, b"").username, None);
    let connect = flags(0b1100_0010, b"\0\x01u");
    assert_eq!((connect.username.as_deref(), connect.password), (Some("u"), None));
    assert!(flags(0b1100_0010, b"\0\x01u\0\x01p").password.is_some());
}

#[test]
fn flags_that_it_does_not_use_may_be_anything() {
    let body = |flags: u8| [b"\0\x06MQIsdp\x03", &[flags][..], b"\0\x0A\0\x01c"].concat();
    for flags in [0b0000_0011, 0b0011_1010] {
        assert!(taken(&body(flags)).will.is_none());
    }
    // What is used has to be right all the same.
    assert!(codec().decode(&mut packet(0x10, &[&body(0b0001_1110), &b"\0\x01t\0\x01w"[..]].concat())).is_err());
}

#[test]
fn what_is_sent_again_bears_dup_in_its_fixed_header() {
    // PUBREL, SUBSCRIBE and UNSUBSCRIBE (section 2.1).
    for (first, body) in [(0x6A, &b"\0\x01"[..]), (0x8A, b"\0\x01\0\x01t\x01"), (0xAA, b"\0\x01\0\x01t")] {
        assert!(matches!(greeted().decode(&mut packet(first, body)), Ok(Some(_))), "{first:#x}");
        assert!(connected(V311).decode(&mut packet(first, body)).is_err(), "{first:#x} in 3.1.1");
    }
    assert!(greeted().decode(&mut packet(0xC8, b"")).is_err(), "PINGREQ is never sent again");
}

#[test]
fn suback_has_no_refusal_and_connack_no_session() {
    let reasons = vec![Reason::GRANTED_QOS_2, Reason::NOT_AUTHORIZED, Reason::GRANTED_QOS_1];
    let suback = Packet::SubAck(ReasonList { packet_id: 1, reasons });
    assert_eq!(&written(&suback)[..], b"\x90\x05\0\x01\x02\x00\x01");
    assert_eq!(&encode(V311, &suback)[..], b"\x90\x05\0\x01\x02\x80\x01");
    let connack = Packet::ConnAck(Box::new(ConnAck { session_present: true, ..ConnAck::default() }));
    assert_eq!(&written(&connack)[..], b"\x20\x02\0\0");
    assert_eq!(&encode(V311, &connack)[..], b"\x20\x02\x01\0");
}
