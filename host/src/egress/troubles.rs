//! Which troubles are news. Pure: time comes in.
//!
//! A connection that is tried every few seconds, or that is made and breaks every few seconds, would fill the log: some 43,000 lines
//! a day that say one thing. A kind of trouble at an address is told when it begins, and again while it lasts after a minute,
//! ten minutes, and then each hour, with the count of what was left out.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::link_error::Kind;

const MINUTE: Duration = Duration::from_secs(60);

/// How long a kind is not told again, the first, the second, and each later time.
const SILENCE: [Duration; 3] = [MINUTE, Duration::from_secs(10 * 60), Duration::from_secs(60 * 60)];

#[derive(Default)]
pub struct Troubles {
    known: HashMap<(usize, Kind), Known>,
    /// Something was told since [`Troubles::connected`] said so.
    told: bool,
    is_connected_told: bool,
}

struct Known {
    told: Instant,
    times: usize,
    left_out: u64,
    /// There was a good connection since.
    is_over: bool,
}

// === impl Troubles ===

impl Troubles {
    /// `Some(n)` when it is to be told now, after `n` times that were not.
    pub fn happened(&mut self, address: usize, kind: Kind, now: Instant) -> Option<u64> {
        let left_out = match self.known.get_mut(&(address, kind.clone())) {
            None => {
                self.known.insert((address, kind), Known { told: now, times: 1, left_out: 0, is_over: false });
                Some(0)
            }
            Some(known) => known.again(now),
        };
        self.told |= left_out.is_some();
        left_out
    }

    /// Whether it is to be told that a connection was made: the first time, and when a trouble was told before.
    pub fn connected(&mut self) -> bool {
        let is_news = std::mem::take(&mut self.told) || !self.is_connected_told;
        self.is_connected_told = true;
        is_news
    }

    /// A connection has proved good: what comes now is new trouble.
    pub fn over(&mut self) {
        self.known.values_mut().for_each(|known| known.is_over = true);
    }
}

// === impl Known ===

impl Known {
    fn again(&mut self, now: Instant) -> Option<u64> {
        if std::mem::take(&mut self.is_over) {
            self.times = 1;
        }
        let silence = SILENCE.get(self.times - 1).or(SILENCE.last()).copied().unwrap_or(MINUTE);
        if now - self.told < silence {
            self.left_out += 1;
            return None;
        }
        self.times += 1;
        self.told = now;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::link_error::LinkError;

    const SECOND: Duration = Duration::from_secs(1);

    fn closed() -> Kind {
        LinkError::Closed.kind()
    }

    #[test]
    fn a_day_of_one_trouble_every_two_seconds_is_a_few_lines() {
        let (mut troubles, start) = (Troubles::default(), Instant::now());
        let told: Vec<u64> =
            (0..43_200).filter_map(|n| troubles.happened(0, closed(), start + 2 * n * SECOND)).collect();
        assert_eq!((told.len(), &told[..4]), (26, &[0, 29, 299, 1799][..]));
    }

    #[test]
    fn another_kind_another_address_and_trouble_after_a_good_connection_are_news() {
        let (mut troubles, start) = (Troubles::default(), Instant::now());
        assert_eq!(troubles.happened(0, closed(), start), Some(0));
        assert_eq!(troubles.happened(0, LinkError::SessionBroken.kind(), start), Some(0));
        assert_eq!(troubles.happened(1, closed(), start), Some(0));
        assert_eq!(troubles.happened(0, closed(), start), None);
        assert_eq!(troubles.happened(0, closed(), start + MINUTE), Some(1));
        troubles.over();
        assert_eq!(troubles.happened(0, closed(), start + MINUTE + SECOND), None, "no more than one a minute");
        assert_eq!(troubles.happened(0, closed(), start + 2 * MINUTE), Some(1));
    }

    #[test]
    fn a_connection_is_news_when_the_trouble_before_it_was() {
        let (mut troubles, start) = (Troubles::default(), Instant::now());
        assert!(troubles.connected());
        troubles.happened(0, closed(), start);
        assert!(troubles.connected());
        troubles.happened(0, closed(), start);
        assert!(!troubles.connected());
    }
}
