//! Was anything lost? The judge stands outside: it knows what was sent, which acks came back, and what arrived.
//!
//! An ack makes a message an **obligation**. A message that was sent and never acknowledged may arrive, or not. Depends on
//! nothing else here, so that it can judge a crash as well as a quiet afternoon.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub struct Oracle {
    sent: BTreeMap<String, Sent>,
    acknowledged: BTreeSet<String>,
}

/// What a message must look like on arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub topic: String,
    pub qos: u8,
    pub payload: String,
}

/// A message on arrival, by the identity that it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub id: String,
    pub message: Expected,
}

#[derive(Debug)]
struct Sent {
    /// One device and topic: within it order is promised.
    stream: String,
    number: usize,
    expected: Expected,
}

/// What the oracle finds. All lists are empty when every promise was kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub obligations: usize,
    pub lost: Vec<String>,
    /// QoS 1 that arrived more than once: only a disconnect may be the cause.
    pub repeated: Vec<String>,
    /// QoS 0 and 2 that arrived more than once.
    pub duplicated: Vec<String>,
    /// With another topic, QoS or payload.
    pub wrong: Vec<String>,
    pub disordered: Vec<String>,
    /// Never sent.
    pub unknown: Vec<String>,
}

// === impl Oracle ===

impl Oracle {
    pub fn new() -> Self {
        Self::default()
    }

    /// To be said before the message is sent. Within a stream, in the order of sending.
    pub fn sent(&mut self, id: &str, stream: &str, expected: Expected) {
        let sent = Sent { stream: stream.to_owned(), number: self.sent.len(), expected };
        assert!(self.sent.insert(id.to_owned(), sent).is_none(), "two messages named {id}");
    }

    pub fn acknowledged(&mut self, id: &str) {
        assert!(self.sent.contains_key(id), "an ack for {id}, which was not sent");
        self.acknowledged.insert(id.to_owned());
    }

    /// What another one knows, of other streams.
    pub fn absorb(&mut self, other: Self) {
        self.sent.extend(other.sent);
        self.acknowledged.extend(other.acknowledged);
    }

    /// The identities of what must arrive.
    pub fn owed(&self) -> impl Iterator<Item = &str> {
        self.acknowledged.iter().map(String::as_str)
    }

    pub fn obligations(&self) -> usize {
        self.acknowledged.len()
    }

    /// `seen` in the order of arrival.
    pub fn judge(&self, seen: &[Seen]) -> Verdict {
        let mut verdict = Verdict { obligations: self.obligations(), ..Verdict::default() };
        let mut arrived = BTreeSet::new();
        let mut last = BTreeMap::new();
        for Seen { id, message } in seen {
            let Some(sent) = self.sent.get(id) else {
                verdict.unknown.push(id.clone());
                continue;
            };
            if *message != sent.expected {
                verdict.wrong.push(format!("{id}: {message:?} instead of {:?}", sent.expected));
            }
            if !arrived.insert(id) {
                let list = if sent.expected.qos == 1 { &mut verdict.repeated } else { &mut verdict.duplicated };
                list.push(id.clone());
                continue;
            }
            if last.insert(&sent.stream, sent.number).is_some_and(|before| before > sent.number) {
                verdict.disordered.push(id.clone());
            }
        }
        verdict.lost = self.acknowledged.iter().filter(|id| !arrived.contains(id)).cloned().collect();
        verdict
    }
}

// === impl Verdict ===

impl Verdict {
    /// What another trial found.
    pub fn extend(&mut self, other: Self) {
        self.obligations += other.obligations;
        self.lost.extend(other.lost);
        self.repeated.extend(other.repeated);
        self.duplicated.extend(other.duplicated);
        self.wrong.extend(other.wrong);
        self.disordered.extend(other.disordered);
        self.unknown.extend(other.unknown);
    }

    /// Every promise kept, over at least `obligations` messages: a test that sent nothing proves nothing.
    pub fn assert_perfect(&self, obligations: usize) {
        self.assert_repeated_at_most(0, obligations);
    }

    /// The same after a disconnect, which may repeat QoS 1 up to the window.
    pub fn assert_repeated_at_most(&self, window: usize, obligations: usize) {
        assert!(self.obligations >= obligations, "only {} obligations of {obligations}", self.obligations);
        assert!(self.repeated.len() <= window, "{} repeated, {window} allowed: {self:#?}", self.repeated.len());
        let faults = [&self.lost, &self.duplicated, &self.wrong, &self.disordered, &self.unknown];
        assert!(faults.iter().all(|list| list.is_empty()), "{self:#?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(payload: &str, qos: u8) -> Expected {
        Expected { topic: "t".into(), qos, payload: payload.into() }
    }

    fn seen(id: &str, qos: u8) -> Seen {
        Seen { id: id.into(), message: expected(id, qos) }
    }

    /// Two streams of QoS 1 and one message of QoS 2, all acknowledged but `d`.
    fn oracle() -> Oracle {
        let mut oracle = Oracle::new();
        for (id, stream, qos) in [("a", "one", 1), ("b", "one", 1), ("c", "two", 2), ("d", "one", 1)] {
            oracle.sent(id, stream, expected(id, qos));
        }
        ["a", "b", "c"].iter().for_each(|id| oracle.acknowledged(id));
        oracle
    }

    #[test]
    fn what_was_acknowledged_must_arrive_and_what_was_not_may() {
        oracle().judge(&[seen("a", 1), seen("c", 2), seen("b", 1)]).assert_perfect(3);
        oracle().judge(&[seen("c", 2), seen("a", 1), seen("b", 1), seen("d", 1)]).assert_perfect(3);
        assert_eq!(oracle().judge(&[seen("a", 1), seen("c", 2)]).lost, ["b"]);
    }

    #[test]
    fn a_second_arrival_is_told_apart_by_qos() {
        let verdict = oracle().judge(&[seen("a", 1), seen("b", 1), seen("a", 1), seen("c", 2), seen("c", 2)]);
        assert_eq!((verdict.repeated, verdict.duplicated), (vec!["a".to_owned()], vec!["c".to_owned()]));
        assert!(verdict.disordered.is_empty(), "a repetition is no disorder");
    }

    #[test]
    fn order_counts_within_a_stream() {
        assert_eq!(oracle().judge(&[seen("b", 1), seen("a", 1), seen("c", 2)]).disordered, ["a"]);
    }

    #[test]
    fn a_changed_message_and_an_unknown_one_are_noticed() {
        let verdict = oracle().judge(&[seen("a", 0), seen("x", 1)]);
        assert_eq!((verdict.wrong.len(), verdict.unknown.as_slice()), (1, &["x".to_owned()][..]));
    }

    #[test]
    #[should_panic(expected = "only 3 obligations of 4")]
    fn too_few_obligations_prove_nothing() {
        oracle().judge(&[seen("a", 1), seen("b", 1), seen("c", 2)]).assert_perfect(4);
    }
}
