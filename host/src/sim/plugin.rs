//! The native plugin: what becomes of a message is written in it.

use std::collections::BTreeMap;
use std::time::Instant;

use super::plan::Verb;
use crate::chain::{Failure, Stage};
use crate::message::Message;
use crate::plugin::{Envelope, FailureKind, Verdict};

/// How often it says "not now" before it passes a message on.
const LATER: u32 = 2;

#[derive(Default)]
pub struct Native {
    /// Messages that are to come again, by identity.
    asked: BTreeMap<String, u32>,
}

// === impl Verb ===

impl Verb {
    const ALL: [(Self, &'static str); 5] =
        [(Self::Pass, "pass"), (Self::Drop, "drop"), (Self::Fail, "fail"), (Self::Later, "later"), (Self::Two, "two")];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(verb, _)| *verb == self).map_or("", |(_, word)| word)
    }

    /// The payload of a message.
    pub fn payload(self, id: &str, padding: usize) -> String {
        format!("{id}|{}|{}", self.word(), "x".repeat(padding))
    }
}

/// The identity and the verb of a payload.
pub fn read(payload: &[u8]) -> (String, Verb) {
    let text = String::from_utf8_lossy(payload);
    let mut parts = text.split('|');
    let (id, word) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let verb = Verb::ALL.iter().find(|(_, one)| *one == word).map_or(Verb::Pass, |(verb, _)| *verb);
    (id.to_owned(), verb)
}

impl Stage for Native {
    fn name(&self) -> &str {
        "native"
    }

    fn process(&mut self, batch: &[Envelope], _: Instant) -> Vec<Result<Verdict, Box<Failure>>> {
        batch.iter().map(|envelope| self.judge(&envelope.message)).collect()
    }
}

// === impl Native ===

impl Native {
    fn judge(&mut self, message: &Message) -> Result<Verdict, Box<Failure>> {
        let (id, verb) = read(&message.payload);
        match verb {
            Verb::Pass => Ok(Verdict::Forward),
            Verb::Drop => Ok(Verdict::Drop),
            Verb::Fail => Err(failure(false)),
            Verb::Later => {
                let asked = self.asked.entry(id.clone()).or_default();
                *asked += 1;
                if *asked <= LATER {
                    return Err(failure(true));
                }
                self.asked.remove(&id);
                Ok(Verdict::Forward)
            }
            Verb::Two => Ok(Verdict::Emit(vec![part(message, &id, "a"), part(message, &id, "b")])),
        }
    }
}

fn part(message: &Message, id: &str, part: &str) -> Message {
    Message { payload: Verb::Pass.payload(&format!("{id}.{part}"), 0).into(), ..message.clone() }
}

fn failure(transient: bool) -> Box<Failure> {
    let kind = FailureKind::Refused { transient };
    Failure { plugin: "native".into(), kind, detail: "as it was told".into(), attempts: 1, then: None }.into()
}
