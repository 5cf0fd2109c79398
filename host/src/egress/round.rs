//! At which of an upstream's addresses to try next. Pure.
//!
//! - A **round** tries each address once, and the wait comes between rounds.
//! - It begins **at home**, the address where our session is: only there are open exchanges finished without a doubt. Then the
//!   others in the order of the configuration, which is also the order when we have no session anywhere.
//! - A connection that was made and broke is made again at the same address. One that breaks early several times in a row is
//!   no place to stay, nor is one that acknowledges nothing: then home comes last.
//! - Going back begins at the first address, and home is next: nothing is lost by looking.

use std::collections::VecDeque;

use crate::base::fault::{self, Fault};

/// So many early ends in a row, and another address is tried.
const SHORT_LIVED: u32 = 3;

/// How a connection ended that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was a good one.
    Stable,
    /// It broke soon.
    Early,
    /// It took messages for as long as an ack may take, and acknowledged none: another address may be better.
    WithoutProgress,
}

pub struct Round {
    count: usize,
    at: usize,
    /// What this round has not tried.
    left: VecDeque<usize>,
    home: Option<usize>,
    short_lived: u32,
}

// === impl Round ===

impl Round {
    /// `count` is one or more.
    pub fn new(count: usize, home: Option<usize>) -> Self {
        let mut round = Self { count, at: 0, left: VecDeque::new(), home, short_lived: 0 };
        round.begin(home.unwrap_or(0));
        round
    }

    /// The address to try now.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Where our session is, as far as we know.
    pub fn home(&self) -> Option<usize> {
        self.home
    }

    pub fn set_home(&mut self, home: Option<usize>) {
        self.home = home;
    }

    /// Nobody let us in. Whether the next address can be tried at once; if not, the round is over.
    pub fn failed(&mut self) -> bool {
        match self.left.pop_front() {
            Some(next) => {
                self.at = next;
                true
            }
            None => {
                self.begin(self.home.unwrap_or(0));
                false
            }
        }
    }

    /// We were let in, and the connection broke.
    pub fn broke(&mut self, ended: Ended) {
        let at = self.at;
        self.begin(at);
        self.short_lived = match ended {
            Ended::Stable => 0,
            Ended::Early => self.short_lived + 1,
            Ended::WithoutProgress if fault::is_on(Fault::StaysWithoutProgress) => 0,
            Ended::WithoutProgress => SHORT_LIVED,
        };
        if self.short_lived >= SHORT_LIVED
            && let Some(next) = self.left.pop_front()
        {
            self.short_lived = 0;
            self.left.push_back(at);
            self.at = next;
        }
    }

    /// This one is next, and home after it: nothing is lost by looking.
    pub fn go_to(&mut self, at: usize) {
        self.begin(at);
    }

    fn begin(&mut self, first: usize) {
        self.at = first;
        let home = self.home.filter(|home| *home != first);
        let others = (0..self.count).filter(|address| *address != first && Some(*address) != home);
        self.left = home.into_iter().chain(others).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is tried until the round is over.
    fn tried(round: &mut Round) -> Vec<usize> {
        let mut tried = vec![round.at()];
        while round.failed() {
            tried.push(round.at());
        }
        tried
    }

    #[test]
    fn a_round_tries_each_address_once_in_order_and_home_before_all() {
        assert_eq!(tried(&mut Round::new(1, None)), [0]);
        assert_eq!(tried(&mut Round::new(3, None)), [0, 1, 2]);
        let mut at_home = Round::new(3, Some(1));
        assert_eq!(tried(&mut at_home), [1, 0, 2]);
        assert_eq!(tried(&mut at_home), [1, 0, 2], "the next round is the same");
    }

    #[test]
    fn a_connection_that_breaks_is_made_again_unless_it_never_lasts() {
        let mut round = Round::new(2, Some(0));
        round.broke(Ended::Early);
        round.broke(Ended::Early);
        assert_eq!(round.at(), 0);
        round.broke(Ended::Stable);
        round.broke(Ended::Early);
        round.broke(Ended::Early);
        assert_eq!(round.at(), 0, "a good one in between counts");
        round.broke(Ended::Early);
        assert_eq!(tried(&mut round), [1, 0]);
    }

    #[test]
    fn an_address_that_acknowledges_nothing_is_left_at_once() {
        let mut round = Round::new(2, Some(0));
        round.broke(Ended::WithoutProgress);
        assert_eq!(tried(&mut round), [1, 0]);
    }

    #[test]
    fn going_back_begins_at_the_first_and_returns_home_when_it_was_in_vain() {
        let mut round = Round::new(3, Some(2));
        round.go_to(0);
        assert_eq!(tried(&mut round), [0, 2, 1]);
    }
}
