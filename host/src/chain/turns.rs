//! What waits in a lane: each client in its turn.
//!
//! ```text
//!  push ─▶ front ──────────────────────▶ pop          as much as a turn takes up, in the order in which it came
//!       ╰▶ rounds: some of each client  ─╯             behind that
//!       ╰▶ behind: a fixed one, and what came later   until those before it are gone
//! ```
//!
//! One device that sends as fast as it can has thousands of messages in the lanes of its bindings. In one line, those of everybody else
//! would wait behind them. So what does not go with the next turn waits in rounds, in which each client has so many bytes
//! ([`Rounds`]). What one client sends stays in order, whatever its topics. Between clients there is no order that anybody was promised.
//!
//! Usually there is nothing behind the front, and a message costs what it costs in one line. Not chosen: to ask for the client of each
//! message; or one line with a limit for each client, which is either too low for a device that is alone or too high beside a slow plugin.

use std::collections::VecDeque;
use std::num::NonZeroU64;

use super::job::{Rank, Taken, Work};
use super::rounds::Rounds;

#[derive(Default)]
pub(super) struct Turns {
    front: VecDeque<Work>,
    rounds: Rounds,
    /// What a client has in a round.
    burst: usize,
    /// One that is fixed is the first, where clients have something before it.
    behind: VecDeque<Work>,
    /// As they were brought.
    places: VecDeque<NonZeroU64>,
}

// === impl Turns ===

impl Turns {
    /// A turn takes up so many, and a round has so many of each client.
    pub fn push(&mut self, work: Work, ahead: usize, burst: usize) {
        self.burst = burst;
        if let Rank::Placed(place) = work.rank() {
            self.places.push_back(place);
        }
        if self.behind.is_empty() {
            self.put(work, ahead);
        } else {
            self.behind.push_back(work);
        }
    }

    fn put(&mut self, work: Work, ahead: usize) {
        match (work.rank(), self.rounds.is_empty()) {
            (Rank::Fixed, false) => self.behind.push_back(work),
            (Rank::Fixed, true) => self.front.push_back(work),
            (_, true) if self.front.len() < ahead => self.front.push_back(work),
            _ => self.rounds.push(work, self.burst),
        }
    }

    /// The next one, if it is wanted, and how it was taken up.
    pub fn pop_if(&mut self, is_wanted: impl FnOnce(&Work) -> bool) -> Option<(Work, Taken)> {
        if self.front.is_empty() && self.rounds.is_empty() {
            self.advance();
        }
        let (work, is_overtaken) = if self.front.is_empty() {
            self.rounds.peek().filter(|work| is_wanted(work))?;
            self.rounds.pop()?
        } else {
            self.front.front().filter(|work| is_wanted(work))?;
            (self.front.pop_front()?, false)
        };
        let place = if let Rank::Placed(_) = work.rank() { self.places.pop_front() } else { None };
        Some((work, Taken { place, is_overtaken, generation: 0 }))
    }

    /// Those up to the next that is fixed.
    fn advance(&mut self) {
        while let Some(work) = self.behind.pop_front_if(|work| work.rank() != Rank::Fixed || self.rounds.is_empty()) {
            self.put(work, 0);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.front.is_empty() && self.rounds.is_empty() && self.behind.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::fixtures::{envelope_of, payload};
    use crate::chain::{Job, Tick};
    use crate::plugin::Envelope;
    use proptest::prelude::*;

    fn job(client: &str, text: &str, rank: Rank) -> Work {
        let Envelope { message, origin } = envelope_of(client, text);
        Work::Job(Job { message, origin, may_wait: true, rank, done: Box::new(|_: crate::chain::Done| ()) })
    }

    fn placed(place: u64) -> Rank {
        Rank::Placed(NonZeroU64::new(place).unwrap())
    }

    fn text(work: &Work) -> String {
        match work {
            Work::Job(Job { message, origin, .. }) => {
                payload(&Envelope { message: message.clone(), origin: origin.clone() }).into()
            }
            Work::Tick(_) => "tick".into(),
        }
    }

    fn all(turns: &mut Turns) -> Vec<(String, Option<u64>)> {
        std::iter::from_fn(|| turns.pop_if(|_| true))
            .map(|(work, taken)| (text(&work), taken.place.map(NonZeroU64::get)))
            .collect()
    }

    fn texts(turns: &mut Turns) -> Vec<String> {
        all(turns).into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn a_message_waits_for_one_of_each_client_and_not_for_all_that_one_of_them_has() {
        let mut turns = Turns::default();
        (0..1_000).for_each(|n| turns.push(job("greedy", &format!("g{n}"), Rank::Client), 4, 1));
        turns.push(job("honest", "h0", Rank::Client), 4, 1);
        turns.push(job("honest", "h1", Rank::Client), 4, 1);
        let order = texts(&mut turns);
        assert_eq!(order[..8], ["g0", "g1", "g2", "g3", "g4", "h0", "g5", "h1"]);
        assert_eq!(order.len(), 1_002);
    }

    #[test]
    fn what_leaves_in_an_order_has_the_places_in_the_order_in_which_it_is_taken_up() {
        let mut turns = Turns::default();
        (1..=4).for_each(|n| turns.push(job("greedy", &format!("g{n}"), placed(n)), 1, 1));
        turns.push(job("honest", "h", placed(5)), 1, 1);
        let tick = Work::Tick(Tick { now_ms: 0, rank: placed(6), done: Box::new(|_: crate::chain::TickResult| ()) });
        turns.push(tick, 1, 1);
        let order = all(&mut turns);
        let expected = [("g1", 1), ("g2", 2), ("h", 3), ("tick", 4), ("g3", 5), ("g4", 6)];
        assert_eq!(order, expected.map(|(text, place)| (text.to_owned(), Some(place))));
    }

    #[test]
    fn what_is_fixed_is_passed_by_nothing() {
        let mut turns = Turns::default();
        (0..4).for_each(|n| turns.push(job("greedy", &format!("g{n}"), Rank::Client), 1, 1));
        turns.push(job("x", "fixed", Rank::Fixed), 1, 1);
        turns.push(job("honest", "h", Rank::Client), 1, 1);
        turns.push(job("x", "fixed too", Rank::Fixed), 1, 1);
        assert_eq!(texts(&mut turns), ["g0", "g1", "g2", "g3", "fixed", "h", "fixed too"]);
    }

    #[test]
    fn what_is_not_wanted_stays_the_next() {
        let mut turns = Turns::default();
        ["a", "b", "c"].iter().for_each(|client| turns.push(job(client, client, Rank::Client), 1, 1));
        assert_eq!(turns.pop_if(|_| true).map(|(work, _)| text(&work)), Some("a".to_owned()));
        assert!(turns.pop_if(|_| false).is_none());
        turns.push(job("d", "d", Rank::Client), 1, 1);
        assert_eq!(texts(&mut turns), ["b", "c", "d"]);
    }

    #[test]
    fn who_may_be_passed_by_one_that_comes_later_says_so() {
        let mut turns = Turns::default();
        (0..4).for_each(|n| turns.push(job("greedy", &format!("g{n}"), Rank::Client), 1, 2));
        turns.push(job("honest", "h", Rank::Client), 1, 2);
        let order: Vec<_> = std::iter::from_fn(|| turns.pop_if(|_| true))
            .map(|(work, taken)| (text(&work), taken.is_overtaken))
            .collect();
        let expected = [("g0", false), ("g1", false), ("g2", false), ("h", false), ("g3", true)];
        assert_eq!(order, expected.map(|(text, is_overtaken)| (text.to_owned(), is_overtaken)));
    }

    /// A client, how it stands, and whether one is taken up then.
    fn steps() -> impl Strategy<Value = Vec<(u8, u8, bool)>> {
        prop::collection::vec((0..4u8, 0..8u8, any::<bool>()), 0..120)
    }

    proptest! {
        #[test]
        fn each_client_and_all_around_what_is_fixed_stay_in_order_and_nothing_is_lost(steps in steps(), ahead in 0..6usize) {
            let (mut turns, mut left) = (Turns::default(), Vec::new());
            for (number, (client, rank, takes)) in steps.iter().enumerate() {
                let rank = match rank {
                    0 => Rank::Fixed,
                    1..4 => placed(number as u64 + 1),
                    _ => Rank::Client,
                };
                turns.push(job(&client.to_string(), &number.to_string(), rank), ahead, 2);
                left.extend(takes.then(|| turns.pop_if(|_| true)).flatten().into_iter().chain(turns.pop_if(|_| false)));
            }
            left.extend(std::iter::from_fn(|| turns.pop_if(|_| true)));
            prop_assert!(turns.is_empty() && left.len() == steps.len());
            let numbers: Vec<usize> = left.iter().map(|(work, _)| text(work).parse().unwrap()).collect();
            for client in 0..4 {
                prop_assert!(numbers.iter().filter(|number| steps[**number].0 == client).is_sorted());
            }
            for (at, number) in numbers.iter().enumerate().filter(|(_, number)| steps[**number].1 == 0) {
                prop_assert!(numbers[..at].iter().all(|before| before < number), "{numbers:?}");
                prop_assert!(numbers[at..].iter().skip(1).all(|after| after > number), "{numbers:?}");
            }
            prop_assert!(left.iter().filter_map(|(_, taken)| taken.place).is_sorted());
        }
    }
}
