//! What was found of records that wait, for the next turn: while nothing has become less for their upstreams, they wait on, and nobody
//! looks at them. Thousands of them would else be looked at with each write for the other upstreams.

use super::barrier::Barrier;
use super::fairness::Over;

pub(super) struct Waited {
    /// So many records, the first ones.
    pub records: usize,
    /// What waits behind them.
    pub behind: Barrier,
    /// A share, and what it has room for.
    pub rooms: (u64, u64),
    /// What each upstream had at most when one was told to wait.
    pub used: Vec<u64>,
}

// === impl Waited ===

impl Waited {
    /// Whether all of them have to wait on.
    pub fn holds(&self, rooms: (u64, u64), used: &[u64], full: &[bool], over: &Over) -> bool {
        let is_short = |upstream: usize| {
            full.get(upstream).is_some_and(|full| *full) || over.iter().any(|(short, _)| *short == upstream)
        };
        let mut upstreams = self.used.iter().zip(used).enumerate();
        self.rooms == rooms && upstreams.all(|(upstream, (then, now))| now >= then || !is_short(upstream))
    }
}
