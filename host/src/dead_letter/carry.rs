//! Which letters are taken along when the oldest go.
//!
//! An archive is a log whose oldest segments go when it is full, so that one device whose messages are all refused would be the end of
//! everybody's letters: it may not be held back, for its messages are acknowledged. So before segments go, letters of those who have less
//! than an equal part of them are written once more, at the end of the log: of those first who have least, up to a quarter of a segment.
//! A flood of one leaves the letters of the others; where all have much the same, the oldest go as before.
//!
//! What goes is looked at, and not the whole archive: that takes no memory while nothing happens, and who floods has most of what is old
//! as well, soon.

use std::collections::HashMap;

use super::fold::Written;
use super::letter::Metadata;

/// Clients that are told apart at a time; those beyond have nothing taken along.
const MAX_CLIENTS: usize = 4_096;

/// Of a segment. What is taken along is written each time that the log has come round, and read twice.
const PART: u64 = 4;

/// It is in memory meanwhile.
const MAX_BYTES: u64 = 4 << 20;

/// Letters of segments that go, by whose they are.
#[derive(Debug)]
pub struct Carrying {
    bytes: HashMap<String, u64>,
    /// Of all of them, also those beyond [`MAX_CLIENTS`].
    total: u64,
    budget: u64,
}

/// Those whose letters are taken along.
#[derive(Debug)]
pub struct Chosen {
    /// With the bytes that each may still have.
    clients: HashMap<String, u64>,
    pub taken: Vec<Taken>,
}

/// A letter that is written once more, with what it was written with.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    pub id: u64,
    pub number: u64,
    pub archived_ms: u64,
    pub letter: Vec<u8>,
}

// === impl Carrying ===

impl Carrying {
    /// `segment` is what one has room for.
    pub fn new(segment: u64) -> Self {
        Self { bytes: HashMap::new(), total: 0, budget: (segment / PART).min(MAX_BYTES) }
    }

    pub fn weigh(&mut self, facts: &Metadata, bytes: usize) {
        let bytes = bytes as u64;
        self.total += bytes;
        if let Some(known) = self.bytes.get_mut(whose(facts)) {
            *known += bytes;
        } else if self.bytes.len() < MAX_CLIENTS {
            self.bytes.insert(whose(facts).to_owned(), bytes);
        }
    }

    pub fn choose(self) -> Chosen {
        let Self { bytes, total, budget } = self;
        let equal = total / (bytes.len() as u64).max(1);
        let mut small: Vec<_> = bytes.into_iter().filter(|(_, bytes)| *bytes < equal).collect();
        small.sort_unstable_by(|(a, of_a), (b, of_b)| (of_a, a).cmp(&(of_b, b)));
        let mut left = budget;
        // The last one with a part of what it has, the others with nothing.
        let allowed = small.into_iter().map(|(client, bytes)| {
            let of_client = bytes.min(left);
            left -= of_client;
            (client, of_client)
        });
        let clients = allowed.filter(|(_, bytes)| *bytes > 0).collect();
        Chosen { clients, taken: Vec::new() }
    }
}

// === impl Chosen ===

impl Chosen {
    pub fn offer(&mut self, facts: &Metadata, written: &Written<'_>) {
        let bytes = written.letter.len() as u64;
        if let Some(left) = self.clients.get_mut(whose(facts)).filter(|left| bytes <= **left) {
            *left -= bytes;
            let &Written { id, number, archived_ms, letter } = written;
            self.taken.push(Taken { id, number, archived_ms, letter: letter.to_vec() });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }
}

/// Who has caused it: of what no client has, the upstream that did not take it.
fn whose(facts: &Metadata) -> &str {
    if facts.client.is_empty() { &facts.upstream } else { &facts.client }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients with the bytes of each of their letters; which of them are taken along, by the number of the letter.
    fn taken(letters: &[(&str, usize)], segment: u64) -> Vec<u64> {
        let facts = |client: &str| Metadata { client: client.into(), ..Metadata::default() };
        let mut carrying = Carrying::new(segment);
        letters.iter().for_each(|(client, bytes)| carrying.weigh(&facts(client), *bytes));
        let mut chosen = carrying.choose();
        for (id, (client, bytes)) in (0..).zip(letters) {
            let letter = vec![0; *bytes];
            chosen.offer(&facts(client), &Written { id, number: id, archived_ms: 0, letter: &letter });
        }
        chosen.taken.iter().map(|one| one.id).collect()
    }

    #[test]
    fn of_a_flood_the_others_are_taken_along() {
        let letters = [("loud", 400), ("a", 10), ("loud", 400), ("b", 20), ("a", 10), ("loud", 100)];
        assert_eq!(taken(&letters, 1_000), [1, 3, 4]);
    }

    #[test]
    fn where_all_have_the_same_the_oldest_go() {
        assert_eq!(taken(&[("a", 100), ("b", 100), ("a", 100), ("b", 100)], 1_000), [0; 0]);
        assert_eq!(taken(&[("alone", 100), ("alone", 100)], 1_000), [0; 0]);
    }

    #[test]
    fn no_more_than_a_part_of_a_segment_and_first_of_those_who_have_least() {
        let letters = [("b", 60), ("b", 60), ("b", 60), ("a", 50), ("a", 50), ("loud", 9_000)];
        assert_eq!(taken(&letters, 1_000), [0, 1, 3, 4], "100 of `a`, and 120 of the 180 of `b`");
    }

    #[test]
    fn clients_beyond_what_is_told_apart_take_no_memory() {
        let mut carrying = Carrying::new(1_000);
        for number in 0..10_000 {
            carrying.weigh(&Metadata { client: number.to_string(), ..Metadata::default() }, 1);
        }
        assert_eq!(carrying.bytes.len(), MAX_CLIENTS);
    }
}
