//! What a sink keeps in the spool beside its backlog. The spool does not read it: MQTT keeps a session there and which QoS 2 messages the
//! server has received, another kind of sink would keep an offset or a transaction.
//!
//! - **A state**, one for each sink: [`super::Queue::remember`]. It is durable before anything is sent that belongs to it.
//! - **Marks** on messages that are half way: [`super::Queue::mark`]. They go with their message, and with a new state.
//!
//! # On disk
//! ```text
//! state  = bytes of the sink (the first is its version) | messages under way: u16, little endian
//! mark   = u64, little endian, under the upstream and the number of the message
//! ```
//! The number of messages under way is the one thing that the spool has to know: so many of the oldest may have been sent, and a full
//! spool that drops its oldest leaves those alone.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::image::Image;
use super::key::Key;

/// See the head of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkState {
    pub bytes: Bytes,
    /// How many messages can be under way at once.
    pub under_way: u16,
}

/// That a message is half way, and what the sink has to know about that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub number: u64,
    pub value: u64,
}

/// What an earlier process has left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    pub state: Option<SinkState>,
    /// Messages below this number may have been sent.
    pub sent_below: u64,
    /// By rising value.
    pub marks: Vec<Mark>,
}

pub(super) fn restore(image: &Image, upstream: &Arc<str>) -> Recovered {
    let value = image.state().entries().get(&Key::Upstream { name: upstream.clone() });
    let Some(state) = value.and_then(|value| SinkState::decode(value)) else {
        return Recovered::default();
    };
    let sent_below = image.offsets(upstream).map_or(0, |offsets| offsets.after_incomplete(state.under_way.into()));
    let mut marks = image.marks(upstream);
    marks.sort_unstable_by_key(|mark| mark.value);
    Recovered { state: Some(state), sent_below, marks }
}

// === impl SinkState ===

impl SinkState {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.bytes.len() + 2);
        out.put_slice(&self.bytes);
        out.put_u16_le(self.under_way);
        out.freeze()
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let (bytes, under_way) = value.split_last_chunk()?;
        Some(Self { bytes: Bytes::copy_from_slice(bytes), under_way: u16::from_le_bytes(*under_way) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_as_it_was_written_whatever_its_sink_has_put_there() {
        for bytes in [&b""[..], b"\x02anything"] {
            let state = SinkState { bytes: Bytes::from_static(bytes), under_way: 300 };
            assert_eq!(SinkState::decode(&state.encode()), Some(state));
        }
        assert_eq!(SinkState::decode(&[1]), None);
        let written = SinkState { bytes: Bytes::from_static(&[1, 2, 0, b'g', b'w']), under_way: 100 }.encode();
        assert_eq!(*written, [1, 2, 0, b'g', b'w', 100, 0], "as a session was written before states were opaque");
    }
}
