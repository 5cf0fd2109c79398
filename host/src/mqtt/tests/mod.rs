//! The codec as its callers see it.

mod accepted;
mod client;
mod generated;
mod mqtt_3_1;
mod outgoing;
mod refused;

use bytes::{Bytes, BytesMut};

use super::Version::{V5, V311};
use super::*;

const MAX: usize = 1 << 20;

/// A packet from its first byte and what follows the length.
fn packet(first: u8, body: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::from(&[first][..]);
    wire::Sink::varint(&mut bytes, body.len());
    bytes.extend_from_slice(body);
    bytes
}

/// Properties with their length in front.
fn block(properties: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    wire::Sink::varint(&mut bytes, properties.len());
    [&bytes, properties].concat()
}

/// A codec that has decoded its CONNECT.
fn connected(version: Version) -> Codec {
    let mut codec = Codec::new(MAX);
    let mut connect = match version {
        V311 => packet(0x10, b"\0\x04MQTT\x04\x02\0\x0A\0\x01c"),
        V5 => packet(0x10, b"\0\x04MQTT\x05\x02\0\x0A\0\0\x01c"),
    };
    assert!(matches!(codec.decode(&mut connect), Ok(Some(Packet::Connect(_)))));
    codec
}

/// What a first packet comes to.
fn connect(body: &[u8]) -> Result<Connect, DecodeError> {
    match Codec::new(MAX).decode(&mut packet(0x10, body))? {
        Some(Packet::Connect(connect)) => Ok(*connect),
        other => panic!("not a CONNECT: {other:?}"),
    }
}

/// What a later packet comes to. The bytes must hold exactly one.
fn decode(version: Version, mut bytes: BytesMut) -> Result<Packet, DecodeError> {
    let decoded = connected(version).decode(&mut bytes)?;
    assert!(bytes.is_empty(), "left over: {bytes:?}");
    Ok(decoded.expect("a whole packet"))
}

fn encode(version: Version, packet: &Packet) -> BytesMut {
    let mut out = BytesMut::new();
    connected(version).encode(packet, &mut out);
    out
}
