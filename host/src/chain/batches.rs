//! Whether messages cross together: what batches of one plugin have done so far.

/// So many that broke the instance for nothing, and none is tried again: each costs up to a deadline and an instance.
const MOST: u32 = 3;

#[derive(Debug, Default)]
pub struct Batches {
    /// Messages that cross alone, because together they broke the instance.
    alone: usize,
    /// One of them has broken it as well: the batch was not to blame.
    found: bool,
    /// Batches in a row that broke the instance though none of their messages did.
    unexplained: u32,
}

// === impl Batches ===

impl Batches {
    pub fn are_good(&self) -> bool {
        self.alone == 0 && self.unexplained < MOST
    }

    /// A batch of so many has broken the instance.
    pub fn broke(&mut self, messages: usize) {
        (self.alone, self.found) = (messages, false);
    }

    /// A message has crossed alone. Whether there are no more batches from now on.
    pub fn alone(&mut self, broke: bool) -> bool {
        if self.alone == 0 {
            return false;
        }
        self.alone -= 1;
        self.found |= broke;
        if self.alone > 0 {
            return false;
        }
        self.unexplained = if self.found { 0 } else { self.unexplained + 1 };
        self.unexplained == MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_end_when_they_break_again_and_again_for_nothing() {
        let mut batches = Batches::default();
        for (round, culprit) in [false, false, true, false, false, false].into_iter().enumerate() {
            assert!(batches.are_good(), "round {round}");
            batches.broke(2);
            assert!(!batches.are_good());
            assert!(!batches.alone(culprit));
            assert_eq!(batches.alone(false), round == 5, "a culprit explains those before it");
        }
        assert!(!batches.are_good() && !batches.alone(false));
    }
}
