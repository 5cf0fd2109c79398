//! The messages of a batch, borrowed from its columns.

use crate::bindings::exports::tidegate::plugin::batched::Batch;
use crate::{Message, QoS};

const QOS: u8 = 0b011;
const RETAIN: u8 = 0b100;

/// Takes one message after the other from the front of what is left.
pub struct Columns<'a> {
    batch: &'a Batch,
    next: usize,
    topics: &'a str,
    payloads: &'a [u8],
}

// === impl Columns ===

impl<'a> Columns<'a> {
    pub fn of(batch: &'a Batch) -> Self {
        Self { batch, next: 0, topics: &batch.topics, payloads: &batch.payloads }
    }
}

impl<'a> Iterator for Columns<'a> {
    type Item = Message<'a>;

    /// Ends early when the columns disagree: the answer is then too short, which the host takes for a broken plugin.
    fn next(&mut self) -> Option<Message<'a>> {
        let (index, bits) = (self.next, *self.batch.bits.get(self.next)?);
        let (topic, topics) = self.topics.split_at_checked(length(&self.batch.topic_lens, index)?)?;
        let (payload, payloads) = self.payloads.split_at_checked(length(&self.batch.payload_lens, index)?)?;
        (self.next, self.topics, self.payloads) = (index + 1, topics, payloads);
        Some(Message::borrowed(topic, payload, qos(bits)?, bits & RETAIN != 0, index.try_into().ok()?))
    }
}

fn length(lengths: &[u32], index: usize) -> Option<usize> {
    lengths.get(index).map(|&length| length as usize)
}

fn qos(bits: u8) -> Option<QoS> {
    match bits & QOS {
        0 => Some(QoS::AtMostOnce),
        1 => Some(QoS::AtLeastOnce),
        2 => Some(QoS::ExactlyOnce),
        _ => None,
    }
}
