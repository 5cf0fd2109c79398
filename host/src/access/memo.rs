//! The last few topics that a client was asked about, and the answers. A device publishes to a handful of topics, again and again: comparing
//! a text costs a tenth of a look into the trie.

use crate::topic::TopicName;

/// Of each client, where there are rules.
const TOPICS: usize = 4;

/// Bytes. Longer ones are asked for each time, or a client could make the gateway hold a quarter of a megabyte with them.
const LONGEST: usize = 128;

#[derive(Clone, Debug, Default)]
pub(super) struct Memo {
    answers: [Option<(TopicName, bool)>; TOPICS],
    /// The one that goes next.
    oldest: usize,
}

// === impl Memo ===

impl Memo {
    pub fn answer(&self, topic: &TopicName) -> Option<bool> {
        self.answers.iter().flatten().find(|(known, _)| known == topic).map(|(_, answer)| *answer)
    }

    pub fn keep(&mut self, topic: &TopicName, answer: bool) {
        if topic.as_str().len() > LONGEST {
            return;
        }
        if let Some(place) = self.answers.get_mut(self.oldest) {
            *place = Some((topic.clone(), answer));
        }
        self.oldest = (self.oldest + 1) % TOPICS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_remembers_a_few_and_nothing_long() {
        let topic = |text: &str| TopicName::parse(text).unwrap();
        let mut memo = Memo::default();
        for number in 0..=TOPICS {
            memo.keep(&topic(&number.to_string()), number % 2 == 0);
        }
        memo.keep(&topic(&"x".repeat(LONGEST + 1)), true);
        assert_eq!((memo.answer(&topic("0")), memo.answer(&topic("1"))), (None, Some(false)));
        assert_eq!((memo.answer(&topic("4")), memo.answer(&topic(&"x".repeat(LONGEST + 1)))), (Some(true), None));
    }
}
