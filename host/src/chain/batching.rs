//! Which messages cross together.
//!
//! A crossing costs some 400 ns and a batch of 32 shares one (`batched` in `wit/`). Nothing ever waits to fill a batch: what
//! is there goes. Below four messages the columns cost more than they save; above 64, or 128 KiB, little more is saved while
//! a batch that traps costs more to repeat. Messages with properties have no columns and cross alone.

use crate::plugin::Envelope;

const MIN_BATCH: usize = 4;
pub const MAX_BATCH: usize = 64;
pub const MAX_BATCH_BYTES: usize = 128 << 10;

/// How many messages at the front of `waiting` cross together: at least one, if there is one.
pub fn together(waiting: &[Envelope]) -> usize {
    let mut bytes = 0;
    let fits = |envelope: &&Envelope| {
        let message = &envelope.message;
        bytes += message.topic.as_str().len() + message.payload.len();
        message.properties.is_none() && bytes <= MAX_BATCH_BYTES
    };
    let run = waiting.iter().take(MAX_BATCH).take_while(fits).count();
    if run >= MIN_BATCH { run } else { waiting.len().min(1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::fixtures::envelope;
    use crate::message::Properties;
    use std::sync::Arc;

    fn messages(count: usize, payload: usize) -> Vec<Envelope> {
        (0..count).map(|_| envelope(&"x".repeat(payload))).collect()
    }

    #[test]
    fn few_cross_alone_and_many_together_up_to_a_count_and_a_size() {
        let cases =
            [(0, 1, 0), (1, 1, 1), (3, 1, 1), (4, 1, 4), (64, 1, 64), (200, 1, 64), (64, 8 << 10, 15), (9, 1 << 20, 1)];
        for (count, payload, expected) in cases {
            assert_eq!(together(&messages(count, payload)), expected, "{count} of {payload} bytes");
        }
    }

    #[test]
    fn a_message_with_properties_ends_a_batch_and_crosses_alone() {
        let mut waiting = messages(9, 1);
        waiting[5].message.properties = Some(Arc::new(Properties::default()));
        assert_eq!(together(&waiting), 5);
        assert_eq!(together(&waiting[5..]), 1);
    }
}
