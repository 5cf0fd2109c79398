//! Many messages in one crossing.

use super::columns::Columns;
use super::decide;
use crate::bindings::exports::tidegate::plugin::batched::{Batch, BatchResult};
use crate::bindings::tidegate::plugin::types::Verdict;
use crate::{Error, Plugin, Result};

/// The codes of `batch-result.actions`.
mod action {
    pub const DROP: u8 = 0;
    pub const FORWARD: u8 = 1;
    pub const REPLACE: u8 = 2;
    pub const EMIT: u8 = 3;
    pub const FAILED: u8 = 4;
}

/// The verdict of each message, written into the columns of the answer.
pub fn process<P: Plugin>(plugin: &mut P, batch: &Batch) -> BatchResult {
    let mut answer = BatchResult::for_a_batch_of(batch.bits.len());
    for message in Columns::of(batch) {
        answer.push(decide(plugin, &message));
    }
    answer
}

/// The same failure for each message.
pub fn fail_all(batch: &Batch, error: &Error) -> BatchResult {
    let mut answer = BatchResult::for_a_batch_of(batch.bits.len());
    for _ in &batch.bits {
        answer.push(Err(error.clone()));
    }
    answer
}

// === impl BatchResult ===

impl BatchResult {
    /// Reserves the one column that is always used; the others grow with the first verdict that needs them.
    fn for_a_batch_of(messages: usize) -> Self {
        Self {
            actions: Vec::with_capacity(messages),
            payload_lens: vec![],
            payloads: vec![],
            emit_counts: vec![],
            emitted: vec![],
            failures: vec![],
        }
    }

    fn push(&mut self, verdict: Result<Verdict>) {
        self.actions.push(match verdict {
            Ok(Verdict::Drop) => action::DROP,
            Ok(Verdict::Forward) => action::FORWARD,
            Ok(Verdict::Replace(payload)) => {
                self.payload_lens.push(count(payload.len()));
                self.payloads.extend(payload);
                action::REPLACE
            }
            Ok(Verdict::Emit(messages)) => {
                self.emit_counts.push(count(messages.len()));
                self.emitted.extend(messages);
                action::EMIT
            }
            Err(error) => {
                self.failures.push(error.into());
                action::FAILED
            }
        });
    }
}

/// A component's memory has 32-bit addresses: nothing in it is longer.
fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::bindings::tidegate::plugin::types as wit;
    use crate::{Message, Output, Outputs, QoS};

    /// Every verdict, chosen by the payload, and a state that shows whether a message was seen twice.
    #[derive(Default, Deserialize)]
    struct Everything {
        seen: usize,
    }

    impl Plugin for Everything {
        fn transform(&mut self, message: &Message) -> Result<Outputs> {
            self.seen += 1;
            Ok(match message.text()? {
                "drop" => Outputs::none(),
                "replace" => Outputs::payload(self.seen.to_string()),
                "emit" => ["x", "y"].map(|topic| Output::new().topic(topic)).into_iter().collect(),
                "fail" => crate::bail!("message {}", self.seen),
                _ => Outputs::same(),
            })
        }
    }

    fn batch_of(messages: &[Message]) -> Batch {
        let bits = |message: &Message| message.qos() as u8 | u8::from(message.retain()) << 2;
        Batch {
            topic_lens: messages.iter().map(|message| count(message.topic().len())).collect(),
            payload_lens: messages.iter().map(|message| count(message.payload().len())).collect(),
            bits: messages.iter().map(bits).collect(),
            topics: messages.iter().map(Message::topic).collect(),
            payloads: messages.iter().flat_map(|message| message.payload().to_vec()).collect(),
        }
    }

    /// Reads an answer as the contract says, and everything of it.
    fn verdicts(answer: BatchResult) -> Vec<Result<Verdict, wit::Failure>> {
        let BatchResult { actions, payload_lens, payloads, emit_counts, emitted, failures } = answer;
        let (mut lens, mut payloads) = (payload_lens.into_iter(), payloads.into_iter());
        let (mut counts, mut emitted, mut failures) =
            (emit_counts.into_iter(), emitted.into_iter(), failures.into_iter());
        let verdict = |action| match action {
            action::DROP => Ok(Verdict::Drop),
            action::FORWARD => Ok(Verdict::Forward),
            action::REPLACE => Ok(Verdict::Replace(payloads.by_ref().take(lens.next().unwrap() as usize).collect())),
            action::EMIT => Ok(Verdict::Emit(emitted.by_ref().take(counts.next().unwrap() as usize).collect())),
            action::FAILED => Err(failures.next().unwrap()),
            other => panic!("no action has the code {other}"),
        };
        let verdicts = actions.into_iter().map(verdict).collect();
        assert!(lens.next().is_none() && payloads.next().is_none());
        assert!(counts.next().is_none() && emitted.next().is_none() && failures.next().is_none());
        verdicts
    }

    fn any_message() -> impl Strategy<Value = Message<'static>> {
        let word = prop::sample::select(vec!["drop", "replace", "emit", "fail", "forward", ""]);
        let qos = prop::sample::select(vec![QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]);
        ("[a-zé/]{0,9}", word, qos, any::<bool>())
            .prop_map(|(topic, word, qos, retain)| Message::new(topic, word).with_qos(qos).with_retain(retain))
    }

    proptest! {
        #[test]
        fn a_batch_gives_what_its_messages_give_one_by_one(messages in prop::collection::vec(any_message(), 0..20)) {
            let (mut one, mut many) = (Everything::default(), Everything::default());
            let one_by_one: Vec<_> =
                messages.iter().map(|message| decide(&mut one, message).map_err(wit::Failure::from)).collect();
            let at_once = verdicts(process(&mut many, &batch_of(&messages)));
            prop_assert!(one_by_one == at_once);
            let readings = messages.iter().filter(|message| !message.is_delete()).count();
            prop_assert_eq!(many.seen, readings);
        }
    }

    #[test]
    fn columns_that_disagree_give_a_short_answer_and_no_panic() {
        let good = batch_of(&[Message::new("é", "1"), Message::new("b", "2")]);
        let cases = [
            Batch { topic_lens: vec![1, 2], ..good.clone() },
            Batch { topic_lens: vec![2], ..good.clone() },
            Batch { payload_lens: vec![1, 9], ..good.clone() },
            Batch { bits: vec![0, 3], ..good.clone() },
        ];
        for batch in cases {
            assert!(process(&mut Everything::default(), &batch).actions.len() < 2);
        }
    }
}
