//! Those who wait behind the front of a lane, in rounds: in each, a client has so many bytes at most, and messages are in the order in which they came.
//!
//! A round is closed when the lane begins to serve it, so that it ends, whoever comes. Those who come meanwhile go to the next one, and beyond what they
//! have there to later ones. Whoever sends no more than its share, as devices do, waits in a line that is as it was; and one who sends much waits
//! for himself.
//!
//! Not chosen: deficit round robin, a queue for each client. It takes clients apart whose messages were read together, and whatever they have in memory
//! is then used and given back in another order than it was made: a fifth more of the CPU time of everything behind, measured.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::job::Work;

/// What a client has in one round, in bytes: more than what a device usually has under way. With half of it, which parts windows, acks need half as many
/// writes again.
const QUANTUM: usize = 64 << 10;

/// What the largest counts: it comes after so many rounds at the latest.
const MAX_COST: usize = 64 * QUANTUM;

/// Jobs for which a round keeps its room: some clients with their usual windows.
const SPARE_JOBS: usize = 4_096;

/// One that waits, and whether it is in a round before which others may come that it came before.
type Waiting = (Work, bool);

#[derive(Default)]
pub(super) struct Rounds {
    /// It is served, and nothing comes to it.
    present: VecDeque<Waiting>,
    later: BTreeMap<u64, VecDeque<Waiting>>,
    /// The number of the first that is open.
    open: u64,
    clients: HashMap<Arc<str>, Share>,
    /// Whose the last one was: several come together.
    last: Option<(Arc<str>, Share)>,
    /// Room of a round that was.
    spare: VecDeque<Waiting>,
    /// Clients that there were when those that have nothing were last left out.
    kept: usize,
}

/// Where a client has come to.
#[derive(Clone, Copy)]
struct Share {
    round: u64,
    left: usize,
}

// === impl Rounds ===

impl Rounds {
    pub fn is_empty(&self) -> bool {
        self.present.is_empty() && self.later.is_empty()
    }

    /// `burst` is what a client has in one round of its small messages at most.
    pub fn push(&mut self, work: Work, burst: usize) {
        let cost = work.weight().clamp(QUANTUM / burst.max(1), MAX_COST);
        let round = self.share(work.client()).spend(cost);
        let may_be_passed = round > self.open;
        let queue = self.later.entry(round).or_insert_with(|| std::mem::take(&mut self.spare));
        queue.push_back((work, may_be_passed));
    }

    /// Of the clock, when it is nobody's. A name of many messages is one in memory, and is not looked up for each of them.
    fn share(&mut self, client: Option<&Arc<str>>) -> &mut Share {
        let (open, clock) = (Share { round: self.open, left: QUANTUM }, Arc::<str>::default());
        let client = client.unwrap_or(&clock);
        if let Some((name, share)) = self.last.take_if(|(last, _)| !Arc::ptr_eq(last, client)) {
            self.clients.insert(name, share);
            self.leave_out();
        }
        let clients = &self.clients;
        let known = || (client.clone(), clients.get(client).copied().unwrap_or(open));
        let (_, share) = self.last.get_or_insert_with(known);
        if share.round < open.round {
            *share = open;
        }
        share
    }

    /// Names cost nothing: those that have nothing in an open round go when there are twice as many as there were.
    fn leave_out(&mut self) {
        if self.clients.len() > 2 * self.kept + 64 {
            let open = self.open;
            self.clients.retain(|_, share| share.round >= open);
            self.kept = self.clients.len();
        }
    }

    /// The next one.
    pub fn peek(&mut self) -> Option<&Work> {
        if self.present.is_empty() {
            let (round, next) = self.later.pop_first()?;
            self.spare = std::mem::replace(&mut self.present, next);
            self.open = round + 1;
        }
        self.present.front().map(|(work, _)| work)
    }

    /// The same, which goes.
    pub fn pop(&mut self) -> Option<Waiting> {
        self.peek()?;
        let next = self.present.pop_front();
        if self.is_empty() {
            self.forget();
        }
        next
    }

    /// When nobody waits, nobody has had anything of a round.
    fn forget(&mut self) {
        self.clients.clear();
        self.clients.shrink_to(64);
        (self.last, self.kept) = (None, 0);
        for room in [&mut self.present, &mut self.spare] {
            if room.capacity() > SPARE_JOBS {
                *room = VecDeque::new();
            }
        }
    }
}

// === impl Share ===

impl Share {
    /// The round in which so much has room.
    fn spend(&mut self, cost: usize) -> u64 {
        let beyond = cost.saturating_sub(self.left).div_ceil(QUANTUM);
        self.round += beyond as u64;
        self.left = (self.left + beyond * QUANTUM).saturating_sub(cost);
        self.round
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::fixtures::envelope_of;
    use crate::chain::{Job, Rank};
    use crate::plugin::Envelope;

    fn work(client: &Arc<str>, bytes: usize) -> Work {
        let Envelope { message, origin } = envelope_of(client, &"x".repeat(bytes));
        let done = Box::new(|_: crate::chain::Done| ());
        Work::Job(Job { message, origin, may_wait: true, rank: Rank::Client, done })
    }

    fn put(rounds: &mut Rounds, client: &str, messages: usize, bytes: usize, burst: usize) {
        let client = client.into();
        (0..messages).for_each(|_| rounds.push(work(&client, bytes), burst));
    }

    /// Whose are served, in order.
    fn served(rounds: &mut Rounds, most: usize) -> Vec<String> {
        let name = |(work, _): Waiting| work.client().map(|client| client.to_string()).unwrap_or_default();
        std::iter::from_fn(|| rounds.pop()).map(name).take(most).collect()
    }

    #[test]
    fn a_client_waits_for_what_another_one_has_in_two_rounds_and_not_for_all_of_it() {
        let mut rounds = Rounds::default();
        put(&mut rounds, "greedy", 1_000, 10, 16);
        served(&mut rounds, 1);
        put(&mut rounds, "a", 2, 10, 16);
        let served = served(&mut rounds, 100);
        let of_a: Vec<_> = (0..100).filter(|at| served[*at] == "a").collect();
        assert_eq!(of_a, [31, 32]);
    }

    #[test]
    fn those_who_have_no_more_than_their_shares_are_served_as_they_came() {
        let mut rounds = Rounds::default();
        let came: Vec<String> = (0..64).map(|number| (number * 7 % 5).to_string()).collect();
        came.iter().for_each(|client| put(&mut rounds, client, 1, 10, 16));
        assert_eq!(served(&mut rounds, 64), came);
    }

    #[test]
    fn a_round_ends_whoever_comes_while_it_is_served() {
        let mut rounds = Rounds::default();
        put(&mut rounds, "patient", 2, 10, 1);
        for number in 0..100 {
            put(&mut rounds, &format!("new {number}"), 1, 10, 1);
            if served(&mut rounds, 1) == ["patient"] && number > 0 {
                return assert!(number < 5, "after {number}");
            }
        }
        panic!("passed by all who came");
    }

    #[test]
    fn who_sends_large_messages_has_as_many_bytes_as_others_and_no_more() {
        let mut rounds = Rounds::default();
        put(&mut rounds, "large", 10, 10 * QUANTUM, 1);
        put(&mut rounds, "small", 1_000, 10, 1);
        let large = served(&mut rounds, 110).iter().filter(|client| **client == "large").count();
        assert!((9..=11).contains(&large), "{large} beside a hundred small ones");
    }

    #[test]
    fn what_is_larger_than_a_share_has_its_turn_all_the_same() {
        let mut rounds = Rounds::default();
        put(&mut rounds, "large", 1, 10 << 20, 1);
        put(&mut rounds, "small", 1_000, 10, 1);
        assert!(served(&mut rounds, 66).contains(&"large".to_owned()));
    }

    #[test]
    fn who_may_be_passed_by_one_that_comes_later_is_known() {
        let mut rounds = Rounds::default();
        put(&mut rounds, "greedy", 3, 10, 2);
        put(&mut rounds, "other", 1, 10, 2);
        let passed: Vec<bool> = std::iter::from_fn(|| rounds.pop()).map(|(_, may_be_passed)| may_be_passed).collect();
        assert_eq!(passed, [false, false, false, true]);
    }

    #[test]
    fn names_that_are_new_each_time_leave_no_memory_behind() {
        let mut rounds = Rounds::default();
        put(&mut rounds, "patient", 1, 10, 1);
        for number in 0..10_000 {
            put(&mut rounds, &number.to_string(), 1, 10, 1);
            put(&mut rounds, "patient", 1, 10, 1);
            assert_eq!(served(&mut rounds, 2).len(), 2);
        }
        assert!(rounds.clients.len() < 300 && rounds.later.len() < 300, "{}", rounds.clients.len());
        served(&mut rounds, usize::MAX);
        assert!(rounds.is_empty() && rounds.clients.is_empty() && rounds.last.is_none());
    }
}
