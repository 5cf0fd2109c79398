//! Properties of the codec that hold for every packet, and for everything that is none.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::*;
use crate::message::{Message, Properties, QoS};
use crate::topic::TopicName;

/// A CONNECT and what the client says after it.
#[derive(Clone, Debug)]
struct Conversation {
    version: Version,
    packets: Vec<Packet>,
}

impl Conversation {
    fn bytes(&self) -> Vec<u8> {
        self.packets.iter().flat_map(|packet| client::encode(packet, self.version)).collect()
    }
}

fn text() -> impl Strategy<Value = String> {
    "[a-z/é$ ]{0,8}"
}

fn filter() -> impl Strategy<Value = String> {
    "[a-z/é$ ]{1,8}"
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn qos() -> impl Strategy<Value = QoS> {
    (0..3_u8).prop_filter_map("QoS", QoS::from_bits)
}

fn topic() -> impl Strategy<Value = TopicName> {
    "[a-z/é$]{1,12}".prop_filter_map("topic", |text| TopicName::parse(&text).ok())
}

fn properties(version: Version) -> BoxedStrategy<Option<Arc<Properties>>> {
    if version == V311 {
        return Just(None).boxed();
    }
    let response_topic = of(topic().prop_map(|name| name.to_string()));
    (of(any::<bool>()), of(any::<u32>()), of(text()), response_topic, of(bytes()), vec((text(), text()), 0..4))
        .prop_map(|(payload_is_utf8, expiry, content_type, response_topic, correlation_data, user)| {
            let properties =
                Properties { payload_is_utf8, expiry, content_type, response_topic, correlation_data, user };
            (!properties.is_empty()).then(|| Arc::new(properties))
        })
        .boxed()
}

fn message(version: Version) -> impl Strategy<Value = Message> {
    (topic(), bytes(), qos(), any::<bool>(), properties(version))
        .prop_map(|(topic, payload, qos, retain, properties)| Message { topic, payload, qos, retain, properties })
}

fn connect(version: Version) -> impl Strategy<Value = Packet> {
    let login = (of(text()), of(bytes()));
    let will = of((message(version), if version == V5 { any::<u32>().boxed() } else { Just(0).boxed() }));
    let limits = (of(any::<u32>()), of(1..=u16::MAX), of(1..=u32::MAX), any::<u16>(), of(text()));
    (text(), any::<(bool, u16)>(), login, will, limits).prop_map(
        move |(client_id, (clean_start, keep_alive), (username, password), will, limits)| {
            let v5 = version == V5;
            Packet::Connect(Box::new(Connect {
                is_3_1: false,
                version,
                client_id,
                clean_start,
                keep_alive,
                password: password.filter(|_| v5 || username.is_some()).map(Password),
                username,
                will: will.map(|(message, delay)| Will { message, delay }),
                session_expiry: limits.0.filter(|_| v5),
                receive_maximum: limits.1.filter(|_| v5),
                maximum_packet_size: limits.2.filter(|_| v5),
                topic_alias_maximum: if v5 { limits.3 } else { 0 },
                user_properties: Vec::new(),
                authentication_method: limits.4.filter(|_| v5),
            }))
        },
    )
}

fn publish(version: Version) -> impl Strategy<Value = Packet> {
    (message(version), 1..=u16::MAX, any::<bool>(), of(1..=u16::MAX), any::<bool>()).prop_map(
        move |(message, id, dup, alias, nameless)| {
            let confirmed = message.qos != QoS::AtMostOnce;
            let mut publish = Publish::outgoing(message, if confirmed { id } else { 0 }, dup && confirmed);
            publish.topic_alias = alias.filter(|_| version == V5);
            if nameless && publish.topic_alias.is_some() {
                publish.topic = None;
            }
            Packet::Publish(publish)
        },
    )
}

fn ack(version: Version, reasons: &'static [Reason]) -> impl Strategy<Value = Ack> {
    let reasons = if version == V311 { &[Reason::SUCCESS] } else { reasons };
    (1..=u16::MAX, prop::sample::select(reasons)).prop_map(|(packet_id, reason)| Ack { packet_id, reason })
}

fn subscribe(version: Version) -> impl Strategy<Value = Packet> {
    let handling = prop_oneof![
        Just(RetainHandling::SendAtSubscribe),
        Just(RetainHandling::SendIfNew),
        Just(RetainHandling::DoNotSend)
    ];
    let request = (filter(), qos(), any::<(bool, bool)>(), handling).prop_map(
        move |(filter, qos, (no_local, retain_as_published), retain_handling)| {
            let full = SubscribeOptions { qos, no_local, retain_as_published, retain_handling };
            let options = if version == V5 { full } else { SubscribeOptions { qos, ..Default::default() } };
            SubscribeRequest { filter, options }
        },
    );
    (1..=u16::MAX, of(1..=268_435_455_u32), vec(request, 1..4)).prop_map(move |(packet_id, id, requests)| {
        Packet::Subscribe(Subscribe { packet_id, subscription_id: id.filter(|_| version == V5), requests })
    })
}

fn disconnect(version: Version) -> impl Strategy<Value = Packet> {
    of(text()).prop_map(move |reason_string| match version {
        V311 => Packet::Disconnect(Disconnect::default()),
        V5 => Packet::Disconnect(Disconnect { reason: Reason::QUOTA_EXCEEDED, session_expiry: None, reason_string }),
    })
}

fn later(version: Version) -> impl Strategy<Value = Packet> {
    const PUBLISHED: &[Reason] = &[Reason::SUCCESS, Reason::NO_MATCHING_SUBSCRIBERS, Reason::NOT_AUTHORIZED];
    const RELEASED: &[Reason] = &[Reason::SUCCESS, Reason::PACKET_IDENTIFIER_NOT_FOUND];
    prop_oneof![
        4 => publish(version),
        1 => ack(version, PUBLISHED).prop_map(Packet::PubAck),
        1 => ack(version, PUBLISHED).prop_map(Packet::PubRec),
        1 => ack(version, RELEASED).prop_map(Packet::PubRel),
        1 => ack(version, RELEASED).prop_map(Packet::PubComp),
        1 => subscribe(version),
        1 => (1..=u16::MAX, vec(filter(), 1..4))
            .prop_map(|(packet_id, filters)| Packet::Unsubscribe(Unsubscribe { packet_id, filters })),
        1 => Just(Packet::PingReq),
        1 => disconnect(version),
    ]
}

fn conversation() -> impl Strategy<Value = Conversation> {
    prop_oneof![Just(V311), Just(V5)]
        .prop_flat_map(|version| (Just(version), connect(version), vec(later(version), 0..6)))
        .prop_map(|(version, connect, later)| Conversation {
            version,
            packets: std::iter::once(connect).chain(later).collect(),
        })
}

/// Everything that can be decoded, and how it ended.
fn drain(codec: &mut Codec, buffer: &mut BytesMut, packets: &mut Vec<Packet>) -> Result<(), DecodeError> {
    while let Some(packet) = codec.decode(buffer)? {
        packets.push(packet);
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_packet_comes_back_as_it_was_sent(conversation in conversation()) {
        let mut buffer = BytesMut::from(&conversation.bytes()[..]);
        let mut packets = Vec::new();
        prop_assert_eq!(drain(&mut Codec::new(MAX), &mut buffer, &mut packets), Ok(()));
        prop_assert_eq!(packets, conversation.packets);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn a_connect_that_we_write_reads_as_it_was_meant(conversation in conversation()) {
        let Some(Packet::Connect(meant)) = conversation.packets.first() else { panic!("no CONNECT") };
        let mut bytes = BytesMut::new();
        prop_assert!(super::super::connect::encode(meant, &mut bytes).is_some());
        let read = Codec::new(MAX).decode(&mut bytes);
        prop_assert_eq!(read, Ok(Some(Packet::Connect(meant.clone()))));
        prop_assert!(bytes.is_empty());
    }

    #[test]
    fn where_the_bytes_are_cut_makes_no_difference(conversation in conversation()) {
        let mut codec = Codec::new(MAX);
        let mut buffer = BytesMut::new();
        let mut packets = Vec::new();
        for byte in conversation.bytes() {
            buffer.extend_from_slice(&[byte]);
            prop_assert_eq!(drain(&mut codec, &mut buffer, &mut packets), Ok(()));
        }
        prop_assert_eq!(packets, conversation.packets);
    }

    #[test]
    fn a_connect_that_lost_its_end_is_malformed_wherever_it_was_cut(conversation in conversation()) {
        let bytes = client::encode(&conversation.packets[0], conversation.version);
        let (_, digits) = wire::read_varint(&bytes[1..]).unwrap().unwrap();
        let body = &bytes[1 + digits..];
        for end in 0..body.len() {
            let refused = super::connect(&body[..end]).map_err(|error| error.reason);
            prop_assert_eq!(refused, Err(Reason::MALFORMED_PACKET), "cut at {}", end);
        }
    }

    #[test]
    fn the_size_is_what_encoding_appends(conversation in conversation()) {
        let codec = connected(conversation.version);
        for packet in &conversation.packets {
            let mut out = BytesMut::from(&b"before"[..]);
            codec.encode(packet, &mut out);
            prop_assert_eq!(codec.size(packet), out.len() - b"before".len());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let mut alone = BytesMut::from(&bytes[..]);
        let _ = drain(&mut Codec::new(MAX), &mut alone, &mut Vec::new());
        for version in [V311, V5] {
            let mut after = BytesMut::from(&bytes[..]);
            let _ = drain(&mut connected(version), &mut after, &mut Vec::new());
        }
    }
}

/// Valid packets with a few bytes changed, cut out or put in come closer to the borders than noise does.
#[test]
fn what_is_accepted_of_a_mutation_is_accepted_again_when_it_is_written_anew() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..500 {
        let conversation = conversation().new_tree(&mut runner).unwrap().current();
        let bytes = conversation.bytes();
        for _ in 0..200 {
            let mut buffer = BytesMut::from(&mutated(&bytes, runner.rng())[..]);
            let mut codec = Codec::new(MAX);
            let mut packets = Vec::new();
            match drain(&mut codec, &mut buffer, &mut packets) {
                Ok(()) => accepted += 1,
                Err(_) => refused += 1,
            }
            // That a client's DISCONNECT may change the session expiry is not written by the encoder of a server.
            packets.retain(|packet| !matches!(packet, Packet::Disconnect(_)));
            let Some(version) = codec.version() else { continue };
            let again = Conversation { version, packets };
            let mut decoded = Vec::new();
            drain(&mut Codec::new(MAX), &mut BytesMut::from(&again.bytes()[..]), &mut decoded).unwrap();
            assert_eq!(decoded, again.packets, "{bytes:?}");
        }
    }
    assert!(accepted > 1_000 && refused > 1_000, "both happen often: {accepted} accepted, {refused} refused");
}

fn mutated(bytes: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=rng.next_u32() % 3 {
        let at = rng.next_u32() as usize % bytes.len().max(1);
        let byte = *[0, 1, 2, 0x7F, 0x80, 0xFF, rng.next_u32() as u8].get(rng.next_u32() as usize % 7).unwrap();
        match rng.next_u32() % 4 {
            0 if at < bytes.len() => drop(bytes.remove(at)),
            1 => bytes.insert(at, byte),
            _ if at < bytes.len() => bytes[at] = byte,
            _ => {}
        }
    }
    bytes
}
