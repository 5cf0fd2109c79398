//! Which troubles are news. Pure: time comes in.
//!
//! A connection that is tried every few seconds, or that is made and breaks every few seconds, would fill the log: some 43,000 lines
//! a day that say one thing. A kind of trouble at an address is told when it begins, and again each hour while it lasts, with its
//! beginning and the count of what was left out.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::link_error::Kind;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

#[derive(Default)]
pub struct Troubles {
    known: HashMap<(usize, Kind), Known>,
    /// Something was told since [`Troubles::connected`] said so.
    told: bool,
    is_connected_told: bool,
}

struct Known {
    since: Instant,
    told: Instant,
    left_out: u64,
    /// There was a good connection since.
    is_over: bool,
}

/// What is told beside the trouble itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// So many times it was not told.
    pub left_out: u64,
    /// How long it lasts.
    pub lasts: Duration,
}

// === impl Troubles ===

impl Troubles {
    /// `Some` when it is to be told now.
    pub fn happened(&mut self, address: usize, kind: Kind, now: Instant) -> Option<News> {
        let news = match self.known.get_mut(&(address, kind.clone())) {
            None => {
                self.known.insert((address, kind), Known { since: now, told: now, left_out: 0, is_over: false });
                Some(News { left_out: 0, lasts: Duration::ZERO })
            }
            Some(known) => known.again(now),
        };
        self.told |= news.is_some();
        news
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
    fn again(&mut self, now: Instant) -> Option<News> {
        if std::mem::take(&mut self.is_over) {
            self.since = now;
        }
        // New trouble is told sooner, and not with each of many short ones.
        let silence = if self.since > self.told { MINUTE } else { HOUR };
        if now - self.told < silence {
            self.left_out += 1;
            return None;
        }
        self.told = now;
        Some(News { left_out: std::mem::take(&mut self.left_out), lasts: now - self.since })
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
        let told: Vec<_> = (0..43_200).filter_map(|n| troubles.happened(0, closed(), start + 2 * n * SECOND)).collect();
        let hours = |hours| News { left_out: if hours == 0 { 0 } else { 1799 }, lasts: HOUR * hours };
        assert_eq!(told, (0..24).map(hours).collect::<Vec<_>>());
    }

    #[test]
    fn another_kind_another_address_and_trouble_after_a_good_connection_are_news() {
        let (mut troubles, start) = (Troubles::default(), Instant::now());
        let mut left_out = |address, kind, at| troubles.happened(address, kind, at).map(|news| news.left_out);
        assert_eq!(left_out(0, closed(), start), Some(0));
        assert_eq!(left_out(0, LinkError::SessionBroken.kind(), start), Some(0));
        assert_eq!(left_out(1, closed(), start), Some(0));
        assert_eq!(left_out(0, closed(), start + MINUTE), None);
        troubles.over();
        let mut news = |at| troubles.happened(0, closed(), at).map(|news| (news.left_out, news.lasts));
        assert_eq!(news(start + MINUTE - SECOND), None, "no more than one a minute");
        assert_eq!(news(start + 2 * MINUTE), Some((2, MINUTE + SECOND)));
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
