//! What is told of a message on its way.

use serde::{Deserialize, Serialize};

use super::payload::Payload;

/// Bytes of a name or a topic that a client has chosen.
const NAME: usize = 512;

/// One step, of which message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The same for all that becomes of one input; counted from the start of the process. 0 in what is no message's.
    pub message: u64,
    /// In milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Microseconds since it came in.
    pub after_us: u64,
    #[serde(flatten)]
    pub step: Step,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// It has been published: by a device, or `hops` further, by a binding.
    Received { topic: String, client: String, qos: u8, retain: bool, hops: u8, payload: Payload },
    /// Its device may not publish it.
    Denied { topic: String, client: String, reason: String },
    /// Which it meets, in the order of the configuration. None: it is for local subscribers alone.
    Bindings { bindings: Vec<String> },
    /// What a plugin has made of it, or of a part of it.
    Plugin {
        binding: String,
        plugin: String,
        verdict: Verdict,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        before: Payload,
        after: Vec<Made>,
        /// More than are shown.
        #[serde(default, skip_serializing_if = "is_zero")]
        more: usize,
    },
    /// What became of it in a binding: `forwarded`, `filtered`, `dead-lettered`, `dropped`.
    Binding {
        binding: String,
        became: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// Nothing of it was taken over, and its device is told so.
    Refused { detail: String },
    /// It has its place: with a number on the disk, without one in memory, as QoS 0 is.
    Spool { upstream: String, number: Option<u64>, ahead: usize },
    /// The sender of the upstream has taken it up. Again with each new connection, until it is acknowledged.
    Sending { upstream: String, number: Option<u64> },
    /// It has left the spool: `acknowledged`, `written` (QoS 0), `undelivered`, `refused`, `expired`, …
    Ended { upstream: String, number: Option<u64>, fate: String },
    /// Nothing of it is under way any more.
    Done,
    /// So many messages matched and were left out: too many in a second.
    LeftOut { messages: u64 },
    /// So many lines had no room: they were not read fast enough.
    Lost { lines: u64 },
    /// The tap ends by itself.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Drop,
    Forward,
    Replace,
    Emit,
    Failed,
    /// It failed and was left out: the message goes on as it was.
    LeftOut,
}

/// A message that a plugin has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    pub topic: String,
    pub payload: Payload,
}

// === impl Step ===

impl Step {
    /// Whether it is told without `--why`.
    pub(super) fn is_arrival(&self) -> bool {
        matches!(self, Self::Received { .. } | Self::Denied { .. } | Self::Done)
    }

    /// Bytes that it keeps in memory, about.
    pub(super) fn weight(&self) -> usize {
        const BOOKKEEPING: usize = 512;
        let payload = match self {
            Self::Received { payload, .. } => payload.weight(),
            Self::Plugin { before, after, .. } => {
                before.weight() + after.iter().map(|made| made.topic.len() + made.payload.weight()).sum::<usize>()
            }
            _ => 0,
        };
        BOOKKEEPING + payload
    }
}

impl Made {
    pub fn new(topic: &str, payload: Payload) -> Self {
        Self { topic: name(topic), payload }
    }
}

/// As much of it as is shown.
pub(super) fn name(text: &str) -> String {
    let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= NAME).last();
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let steps = [
            Step::Bindings { bindings: vec!["b".into()] },
            Step::Spool { upstream: "cloud".into(), number: Some(7), ahead: 2 },
            Step::Done,
        ];
        for step in steps {
            let line = Line { message: 1, at_ms: 2, after_us: 3, step };
            let text = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line, "{text}");
        }
    }

    #[test]
    fn names_are_cut_at_a_character() {
        assert_eq!(name("sensors/a"), "sensors/a");
        let long = name(&"é".repeat(NAME));
        assert!(long.len() <= NAME && long.chars().all(|c| c == 'é'));
    }
}
