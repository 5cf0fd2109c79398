//! Bytes as a client may send them: no panic, and the same packets however the bytes are cut.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use tidegate::mqtt::{Codec, DecodeError, Packet};

const MAX_PACKET_SIZE: usize = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(decode([bytes]), decode(bytes.chunks(1)));
});

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Packet>, Result<(), DecodeError>) {
    let mut codec = Codec::new(MAX_PACKET_SIZE);
    let mut buffer = BytesMut::new();
    let mut packets = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(error) => return (packets, Err(error)),
            }
        }
    }
    (packets, Ok(()))
}
