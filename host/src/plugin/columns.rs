//! Many messages in one crossing: flat columns out, and verdicts from the columns that come back.
//!
//! A list of records costs an allocation in the guest for each string; five flat lists cost five, whatever the number of
//! messages (`batched` in `wit/guest.wit`). What comes back is untrusted: lengths are added up with checks, every column is
//! read through an iterator that may end, and all of it must be used up. An answer that does not add up belongs to no
//! message, so it condemns the instance and not one of them.

use bytes::Bytes;

use crate::plugin::{Envelope, FailureKind, Verdict};

use super::abi::{Allowance, Answer, refused};
use super::contract::batched::{Batch, BatchResult};
use super::contract::types;
use super::faults::Fault;

/// The outgoing columns, reused from call to call.
#[derive(Default)]
pub struct Columns {
    topic_lens: Vec<u32>,
    payload_lens: Vec<u32>,
    bits: Vec<u8>,
    topics: String,
    payloads: Vec<u8>,
}

/// The incoming ones, read from the front.
struct Reader {
    payload_lens: std::vec::IntoIter<u32>,
    payloads: Vec<u8>,
    /// Where the next one begins.
    at: usize,
    emit_counts: std::vec::IntoIter<u32>,
    emitted: std::vec::IntoIter<types::MessageResult>,
    failures: std::vec::IntoIter<types::Failure>,
}

// === impl Columns ===

impl Columns {
    pub fn fill(&mut self, batch: &[Envelope]) -> Result<(), Fault> {
        self.clear();
        for Envelope { message, .. } in batch {
            self.topic_lens.push(length(message.topic.as_str().len())?);
            self.payload_lens.push(length(message.payload.len())?);
            self.bits.push(message.qos as u8 | u8::from(message.retain) << 2);
            self.topics.push_str(message.topic.as_str());
            self.payloads.extend_from_slice(&message.payload);
        }
        Ok(())
    }

    pub fn lower(&self) -> Batch<'_> {
        Batch {
            topic_lens: &self.topic_lens,
            payload_lens: &self.payload_lens,
            bits: &self.bits,
            topics: &self.topics,
            payloads: &self.payloads,
        }
    }

    fn clear(&mut self) {
        self.topic_lens.clear();
        self.payload_lens.clear();
        self.bits.clear();
        self.topics.clear();
        self.payloads.clear();
    }
}

/// An answer for each of `count` messages, or why the columns cannot be read.
pub fn read(result: BatchResult, count: usize, allowance: &mut Allowance) -> Result<Vec<Answer>, Fault> {
    if result.actions.len() != count {
        return Err(Fault::invalid(format!("{} verdicts for {count} messages", result.actions.len())));
    }
    let mut reader = Reader {
        payload_lens: result.payload_lens.into_iter(),
        payloads: result.payloads,
        at: 0,
        emit_counts: result.emit_counts.into_iter(),
        emitted: result.emitted.into_iter(),
        failures: result.failures.into_iter(),
    };
    let answers = result.actions.into_iter().map(|action| reader.next(action, allowance)).collect::<Result<_, _>>()?;
    reader.finish()?;
    Ok(answers)
}

// === impl Reader ===

impl Reader {
    /// The inner error is about this message, the outer one about the whole answer.
    fn next(&mut self, action: u8, allowance: &mut Allowance) -> Result<Answer, Fault> {
        match action {
            0 => Ok(Ok(Verdict::Drop)),
            1 => Ok(Ok(Verdict::Forward)),
            2 => {
                let payload = self.payload()?;
                Ok(allowance.spend(payload.len()).map(|()| Verdict::Replace(payload)))
            }
            3 => {
                let messages = self.messages()?;
                Ok(allowance.emitted(messages))
            }
            4 => self.failures.next().map(|failure| Err(refused(&failure))).ok_or_else(|| short("failures")),
            code => Err(Fault::invalid(format!("the unknown action {code}"))),
        }
    }

    fn payload(&mut self) -> Result<Bytes, Fault> {
        let length = self.payload_lens.next().ok_or_else(|| short("payload-lens"))?;
        let left = self.payloads.get(self.at..).unwrap_or_default();
        let payload =
            usize::try_from(length).ok().and_then(|length| left.get(..length)).ok_or_else(|| short("payloads"))?;
        self.at += payload.len();
        // Copied, not shared: one small message that waits in a queue would keep the whole batch's bytes alive, uncounted.
        Ok(Bytes::copy_from_slice(payload))
    }

    fn messages(&mut self) -> Result<Vec<types::MessageResult>, Fault> {
        let count = self.emit_counts.next().ok_or_else(|| short("emit-counts"))?;
        let count = usize::try_from(count).ok().filter(|count| *count <= self.emitted.len());
        Ok(self.emitted.by_ref().take(count.ok_or_else(|| short("emitted"))?).collect())
    }

    fn finish(&self) -> Result<(), Fault> {
        let left = [
            ("payload-lens", self.payload_lens.len()),
            ("payloads", self.payloads.len() - self.at),
            ("emit-counts", self.emit_counts.len()),
            ("emitted", self.emitted.len()),
            ("failures", self.failures.len()),
        ];
        match left.into_iter().find(|(_, left)| *left > 0) {
            Some((column, left)) => {
                Err(Fault::invalid(format!("{left} entries of column `{column}` belong to no message")))
            }
            None => Ok(()),
        }
    }
}

fn short(column: &str) -> Fault {
    Fault::invalid(format!("column `{column}` is too short for its actions"))
}

fn length(bytes: usize) -> Result<u32, Fault> {
    u32::try_from(bytes).map_err(|_| Fault::new(FailureKind::Invalid, "a message of more than 4 GiB"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PluginLimits;
    use proptest::prelude::*;

    fn allowance() -> Allowance {
        let limits =
            PluginLimits { max_outputs: 3, max_output_bytes: 1_000, max_item_bytes: 900, ..PluginLimits::default() };
        Allowance::new(&limits)
    }

    fn made(topic: &str) -> types::MessageResult {
        let qos = types::Qos::AtMostOnce;
        types::MessageResult { topic: topic.into(), payload: vec![], qos, retain: false, properties: None }
    }

    fn result(actions: &[u8]) -> BatchResult {
        BatchResult {
            actions: actions.to_vec(),
            payload_lens: vec![],
            payloads: vec![],
            emit_counts: vec![],
            emitted: vec![],
            failures: vec![],
        }
    }

    #[test]
    fn each_action_takes_its_share_of_the_columns() {
        let columns = BatchResult {
            payload_lens: vec![1, 2],
            payloads: b"abc".to_vec(),
            emit_counts: vec![0, 2],
            emitted: vec![made("x"), made("y")],
            failures: vec![types::Failure { transient: true, detail: "d".into() }],
            ..result(&[2, 0, 3, 1, 2, 4, 3])
        };
        let answers = read(columns, 7, &mut allowance()).unwrap();
        let names = |answer: &Answer| match answer {
            Ok(Verdict::Emit(messages)) => messages.iter().map(|message| message.topic.to_string()).collect(),
            Ok(Verdict::Replace(payload)) => vec![format!("{payload:?}")],
            Ok(other) => vec![format!("{other:?}")],
            Err(fault) => vec![fault.to_string()],
        };
        let told: Vec<_> = answers.iter().map(names).collect();
        let failed = "cannot handle the message now: d";
        let expected: [&[&str]; 7] = [&["b\"a\""], &["Drop"], &[], &["Forward"], &["b\"bc\""], &[failed], &["x", "y"]];
        assert_eq!(told, expected);
    }

    #[test]
    fn columns_that_do_not_add_up_condemn_the_whole_answer() {
        let cases = [
            (result(&[1]), "1 verdicts for 2 messages"),
            (result(&[1, 9]), "unknown action 9"),
            (result(&[1, 2]), "`payload-lens` is too short"),
            (BatchResult { payload_lens: vec![u32::MAX], ..result(&[1, 2]) }, "`payloads` is too short"),
            (result(&[1, 3]), "`emit-counts` is too short"),
            (BatchResult { emit_counts: vec![u32::MAX], ..result(&[1, 3]) }, "`emitted` is too short"),
            (result(&[1, 4]), "`failures` is too short"),
            (BatchResult { payloads: vec![1], ..result(&[1, 1]) }, "1 entries of column `payloads` belong to no"),
            (BatchResult { emitted: vec![made("x")], ..result(&[1, 1]) }, "`emitted` belong to no message"),
        ];
        for (columns, words) in cases {
            let fault = read(columns, 2, &mut allowance()).unwrap_err();
            assert!(fault.kind == FailureKind::Invalid && fault.detail.contains(words), "{fault}");
        }
    }

    #[test]
    fn limits_are_for_one_message_and_for_the_call() {
        let many = BatchResult { emit_counts: vec![4], emitted: vec![made("x"); 4], ..result(&[3, 1]) };
        let answers = read(many, 2, &mut allowance()).unwrap();
        assert!(answers[0].as_ref().is_err_and(|fault| fault.detail.contains("4 messages from one, its limit is 3")));
        assert_eq!(answers[1], Ok(Verdict::Forward));
        let large = BatchResult { payload_lens: vec![600, 600], payloads: vec![0; 1_200], ..result(&[2, 2]) };
        let answers = read(large, 2, &mut allowance()).unwrap();
        assert!(answers[0].is_ok());
        assert!(answers[1].as_ref().is_err_and(|fault| fault.detail.contains("more than 1000 bytes")));
    }

    proptest! {
        #[test]
        fn no_columns_can_do_more_than_fail(
            actions in prop::collection::vec(0u8..6, 0..8),
            payload_lens in prop::collection::vec(prop_oneof![0u32..4, Just(u32::MAX)], 0..4),
            payloads in prop::collection::vec(any::<u8>(), 0..8),
            emit_counts in prop::collection::vec(prop_oneof![0u32..3, Just(u32::MAX)], 0..4),
            topics in prop::collection::vec(".{0,4}", 0..4),
            failures in 0usize..3,
        ) {
            let count = actions.len();
            let emitted = topics.iter().map(|topic| made(topic)).collect();
            let failures = vec![types::Failure { transient: false, detail: String::new() }; failures];
            let columns = BatchResult { actions, payload_lens, payloads, emit_counts, emitted, failures };
            if let Ok(answers) = read(columns, count, &mut allowance()) {
                prop_assert_eq!(answers.len(), count);
            }
        }
    }
}
