//! A PUBLISH from bytes and to bytes.

use std::hint::black_box;

use bytes::BytesMut;
use tidegate::message::QoS;
use tidegate::mqtt::{Codec, Packet, Publish};
use tidegate_tests::wire::{Connect, Version};

use super::messages::{self, BATCH};

/// Of a connection that has said which version it speaks.
pub fn codec(version: Version) -> Codec {
    let mut codec = Codec::new(1 << 20);
    let mut connect = BytesMut::from(Connect::new(version, "device").encode().as_slice());
    assert!(codec.decode(&mut connect).is_ok_and(|packet| packet.is_some()));
    codec
}

/// A [`BATCH`] of packets.
pub fn decode(codec: &mut Codec, buffer: &mut BytesMut) {
    for _ in 0..BATCH {
        let packet = codec.decode(buffer).expect("a well-formed packet");
        assert!(matches!(black_box(packet), Some(Packet::Publish(_))));
    }
}

pub fn outgoing(qos: QoS) -> Packet {
    let packet_id = u16::from(qos != QoS::AtMostOnce);
    Packet::Publish(Publish::outgoing(messages::message(&messages::json(), qos), packet_id, false))
}

/// The same packet, [`BATCH`] times, for one write.
pub fn encode(codec: &Codec, packet: &Packet, out: &mut BytesMut) {
    out.clear();
    for _ in 0..BATCH {
        codec.encode(packet, out);
    }
    black_box(out);
}
