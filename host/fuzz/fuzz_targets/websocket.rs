//! Bytes as a client may send them in a WebSocket: no panic, and the same bytes of MQTT however they are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::ingress::websocket::{Decoder, Encoder, Ended};

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(decode([bytes]), decode(bytes.chunks(1)));
    assert_eq!(decode([bytes]), decode(bytes.chunks(7)));
});

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Option<Ended>) {
    let (mut decoder, mut encoder) = (Decoder::default(), Encoder::default());
    let mut kept = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let length = decoder.decode(&mut piece, &mut encoder);
        kept.extend_from_slice(&piece[..length]);
        let answer = encoder.control().len();
        encoder.sent_of_control(answer);
    }
    (kept, decoder.ended())
}
