//! The decoder by itself.

use proptest::prelude::*;

use super::*;

/// What was kept, how it ended, what was answered.
type Decoded = (Vec<u8>, Option<Ended>, Vec<(u8, Vec<u8>)>);

/// What it keeps of `bytes` in these pieces, and what it answers.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    let (mut decoder, mut encoder) = (Decoder::default(), Encoder::default());
    let (mut kept, mut answers) = (Vec::new(), Vec::new());
    for piece in pieces {
        let mut piece = piece.to_vec();
        let length = decoder.decode(&mut piece, &mut encoder);
        kept.extend_from_slice(&piece[..length]);
        loop {
            let control = encoder.control().to_vec();
            if control.is_empty() {
                break;
            }
            encoder.sent_of_control(control.len());
            answers.extend(frames(&control));
        }
    }
    (kept, decoder.ended(), answers)
}

fn ended(bytes: &[u8]) -> (Option<Ended>, u16) {
    let (_, ended, answers) = decode([bytes]);
    let code = match answers.last() {
        Some((CLOSE, payload)) if payload.len() == 2 => u16::from_be_bytes([payload[0], payload[1]]),
        _ => 0,
    };
    (ended, code)
}

/// Which frames `bytes` are sent in, with pings between them.
#[derive(Clone, Debug)]
struct Cut {
    length: usize,
    key: [u8; 4],
    is_last: bool,
    ping: Option<Vec<u8>>,
}

fn cuts() -> impl Strategy<Value = Vec<Cut>> {
    let ping = prop::option::weighted(0.2, prop::collection::vec(any::<u8>(), 0..126));
    let length = prop_oneof![3 => 0..20_usize, 2 => 100..400_usize, 1 => 60_000..70_000_usize];
    let cut = (length, any::<[u8; 4]>(), any::<bool>(), ping);
    prop::collection::vec(cut.prop_map(|(length, key, is_last, ping)| Cut { length, key, is_last, ping }), 0..30)
}

fn in_frames(mut bytes: &[u8], cuts: &[Cut]) -> (Vec<u8>, usize) {
    let (mut sent, mut pings, mut in_message) = (Vec::new(), 0, false);
    let rest = Cut { length: bytes.len(), key: [1, 2, 3, 4], is_last: true, ping: None };
    for cut in cuts.iter().chain([&rest]) {
        let (now, later) = bytes.split_at(cut.length.min(bytes.len()));
        let opcode = if in_message { 0 } else { 2 };
        sent.extend(frame(u8::from(cut.is_last) << 7 | opcode, cut.key, now));
        in_message = !cut.is_last;
        if let Some(payload) = &cut.ping {
            pings += 1;
            sent.extend(frame(PING, cut.key, payload));
        }
        bytes = later;
    }
    (sent, pings)
}

proptest! {
    #[test]
    fn the_same_bytes_come_out_however_they_are_cut_into_frames_and_those_into_reads(
        bytes in prop::collection::vec(any::<u8>(), 0..1_000),
        cuts in cuts(),
        reads in prop::collection::vec(1..50_usize, 1..20),
    ) {
        let (sent, pings) = in_frames(&bytes, &cuts);
        let (mut rest, mut pieces) = (&sent[..], Vec::new());
        for length in reads.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, more) = rest.split_at((*length).min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        let (kept, ended, answers) = decode(pieces);
        prop_assert_eq!((&kept, ended), (&bytes, None));
        prop_assert!(answers.iter().all(|(kind, _)| *kind == PONG));
        prop_assert!(answers.len() <= pings, "to each of them one answer, or to the last of several");
        // In one read.
        prop_assert_eq!(decode([&sent[..]]).0, bytes);
    }

    #[test]
    fn any_bytes_give_the_same_in_one_piece_and_in_single_ones(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        is_masked_binary: bool,
    ) {
        let start: &[u8] = if is_masked_binary { &[BINARY, 0x85, 0, 0, 0, 0] } else { &[] };
        let bytes = [start, &bytes[..]].concat();
        let (whole, single) = (decode([&bytes[..]]), decode(bytes.chunks(1)));
        // Of several pings in one read, only the last is answered.
        prop_assert_eq!((whole.0, whole.1, whole.2.last()), (single.0, single.1, single.2.last()));
    }
}

#[test]
fn what_came_before_a_fault_is_still_heard_and_nothing_behind_it() {
    let bytes = [frame(BINARY, [9; 4], b"heard"), frame(0x81, [1; 4], b"text"), frame(BINARY, [0; 4], b"not")].concat();
    let (kept, ended, answers) = decode([&bytes[..]]);
    assert_eq!(kept, b"heard");
    assert!(matches!(ended, Some(Ended::Fault(_))));
    assert_eq!(answers, [(CLOSE, 1003_u16.to_be_bytes().to_vec())]);
}

#[test]
fn what_the_specification_forbids_is_closed_with_its_code() {
    let key = [1, 2, 3, 4];
    let close = |code: u16, reason: &[u8]| frame(CLOSE, key, &[&code.to_be_bytes()[..], reason].concat());
    for (what, bytes, code) in [
        ("text", frame(0x81, key, b"t"), 1003),
        ("no mask", vec![BINARY, 1, b'x'], 1002),
        ("RSV1", frame(BINARY | 0x40, key, b"x"), 1002),
        ("RSV2", frame(BINARY | 0x20, key, b"x"), 1002),
        ("RSV3", frame(PING | 0x10, key, b"x"), 1002),
        ("a reserved opcode", frame(0x83, key, b"x"), 1002),
        ("a reserved control opcode", frame(0x8B, key, b"x"), 1002),
        ("a continuation of nothing", frame(0x80, key, b"x"), 1002),
        ("a message in a message", [frame(0x02, key, b"x"), frame(BINARY, key, b"x")].concat(), 1002),
        ("a ping in pieces", frame(0x09, key, b""), 1002),
        ("a long ping", frame(PING, key, &[0; 126]), 1002),
        ("16 bits for a short length", vec![BINARY, 0x80 | 126, 0, 125, 1, 2, 3, 4], 1002),
        ("64 bits for a short length", vec![BINARY, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 1, 2, 3, 4], 1002),
        ("64 set bits", [&[BINARY, 0x80 | 127][..], &[0xFF; 8], &key].concat(), 1002),
        ("half a close code", frame(CLOSE, key, b"x"), 1002),
        ("a close code for no wire", close(1006, b""), 1002),
        ("an unknown close code", close(2999, b""), 1002),
        ("a reason that is not UTF-8", close(1000, b"\xFF"), 1007),
    ] {
        let (ended, said) = ended(&bytes);
        assert!(matches!(ended, Some(Ended::Fault(_))), "{what}: {ended:?}");
        assert_eq!(said, code, "{what}");
    }
}

#[test]
fn a_close_frame_is_answered_with_its_code_and_is_no_fault() {
    let close = |payload: &[u8]| decode([&frame(CLOSE, [7; 4], payload)[..]]);
    assert_eq!(close(b"").1, Some(Ended::ByPeer));
    assert_eq!(close(b"").2, [(CLOSE, vec![])]);
    assert_eq!(close(&1001_u16.to_be_bytes()).2, [(CLOSE, 1001_u16.to_be_bytes().to_vec())]);
    assert_eq!(close(b"\x0F\xA0bye").2, [(CLOSE, 4000_u16.to_be_bytes().to_vec())]);
}

#[test]
fn a_frame_that_claims_more_than_any_memory_reserves_none_and_its_bytes_come_as_they_come() {
    let header = [&[BINARY, 0x80 | 127][..], &(i64::MAX as u64).to_be_bytes(), &[0; 4]].concat();
    let (kept, ended, _) = decode([&header[..], b"first", b"second"]);
    assert_eq!((&kept[..], ended), (&b"firstsecond"[..], None));
}

#[test]
fn what_is_written_is_cut_into_frames_that_a_length_of_16_bits_can_say() {
    let (mut encoder, mut written, bytes) = (Encoder::default(), Vec::new(), vec![b'x'; 150_000]);
    let mut at = 0;
    while at < bytes.len() {
        encoder.begin(bytes.len() - at);
        written.extend_from_slice(encoder.header());
        let payload = encoder.left().min(bytes.len() - at);
        written.extend_from_slice(&bytes[at..at + payload]);
        at += encoder.sent(encoder.header().len() + payload);
    }
    let found = frames(&written);
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|(first, _)| *first == BINARY));
    assert_eq!(found.into_iter().flat_map(|(_, payload)| payload).collect::<Vec<_>>(), bytes);
}
