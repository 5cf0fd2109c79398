//! Messages that are too large for this address, where another address of the same upstream has said that it takes them.
//!
//! What another address takes is known when we were connected to it before, in this process. Without such an address a message is a
//! dead letter at once: nobody is known who could get it. With one it is held back, and we go there: when it is the first, with the next
//! failback; else as soon as what is in flight has come to its end, once for each message that turns out to be too large here. A message
//! that is held back keeps its place in the window, so that at most half of the window is: the others go on.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::{End, Sender, Session};
use crate::base::excerpt::Excerpt;
use crate::message::Message;
use crate::mqtt::client::EncodeError;
use crate::spool::Entry;

/// Before it is tried again to leave. Nothing new is sent while it is tried.
const AGAIN: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct Elsewhere {
    /// The Maximum Packet Size of each address, as far as it is known, but for the one in use.
    limits: Vec<Option<usize>>,
    at: usize,
    /// Numbers, and how large they are as packets.
    held: BTreeMap<u64, usize>,
}

// === impl Elsewhere ===

impl Elsewhere {
    /// The terms of the address that we are connected to now.
    pub fn connected(&mut self, at: usize, limit: usize) {
        self.learned(at, Some(limit));
        self.at = at;
    }

    /// Nobody is there, or nobody who lets us in. For the first address it is looked all the time, and what it takes may wait for it.
    pub fn not_connected(&mut self, at: usize) {
        if at > 0 {
            self.learned(at, None);
        }
    }

    /// We were let in, and nothing was acknowledged. What it said of its size is no reason to wait for it: a message would go to and fro
    /// between one address that is silent and one that is narrow.
    pub fn without_progress(&mut self, at: usize) {
        self.learned(at, None);
    }

    fn learned(&mut self, at: usize, limit: Option<usize>) {
        if self.limits.len() <= at {
            self.limits.resize(at + 1, None);
        }
        self.limits.iter_mut().skip(at).take(1).for_each(|known| *known = limit);
    }

    /// The first other address that takes so much.
    fn takes(&self, size: usize) -> Option<usize> {
        let takes = |(at, limit): &(usize, &Option<usize>)| *at != self.at && limit.is_some_and(|limit| size <= limit);
        self.limits.iter().enumerate().find(takes).map(|(at, _)| at)
    }
}

// === impl Sender ===

impl Sender {
    /// A new session begins: what was held back is read again from the spool.
    pub(super) fn forget_held(&mut self) {
        self.elsewhere.held.clear();
    }

    /// The session goes on. What nobody is known to take any more is no longer held back.
    pub(super) fn review_held(&mut self) {
        let Elsewhere { limits, held, .. } = &self.elsewhere;
        let fits = |size: usize| limits.iter().flatten().any(|limit| size <= *limit);
        let hopeless: Vec<_> =
            held.iter().filter(|(_, size)| !fits(**size)).map(|(number, size)| (*number, *size)).collect();
        for (number, size) in hopeless {
            self.elsewhere.held.remove(&number);
            if self.inflight.give_up(number) {
                self.dead_letter(number, format!("the upstream cannot be sent it: no address takes {size} bytes"), 0);
            }
        }
    }

    /// Of this number, whose exchange is over. Where it may go; `None` when it is not held back.
    fn hold(&mut self, number: u64, size: usize) -> Option<usize> {
        let has_room = self.elsewhere.held.len() < self.inflight.window() / 2;
        let there = self.elsewhere.takes(size).filter(|_| has_room)?;
        self.inflight.postpone(number);
        self.elsewhere.held.insert(number, size);
        Some(there)
    }
}

impl Session<'_> {
    /// Whether this message, which cannot be sent here, waits for another address.
    pub(super) fn holds_back(&mut self, number: u64, message: &Message, error: &EncodeError) -> bool {
        let EncodeError::TooLarge { size, max } = *error else { return false };
        let Some(there) = self.sender.hold(number, size) else { return false };
        if let Some(silent) = self.sender.oversize.permit() {
            let (upstream, topic) = (&self.sender.upstream, Excerpt(message.topic.as_str()));
            tracing::warn!(upstream, ?topic, size, max, silent, "too large for this address: it waits for another one");
        }
        self.go_elsewhere(there);
        true
    }

    /// In good order. To the first address we go when it is found.
    fn go_elsewhere(&mut self, there: usize) {
        if there > 0 && self.leaving.is_none() {
            self.leave(End::Elsewhere(there));
        }
    }

    /// What is in flight did not come to its end in time.
    pub(super) fn stays(&mut self) {
        self.leave_again = Some(Instant::now() + AGAIN);
    }

    pub(super) fn leave_when_due(&mut self, now: Instant) {
        if self.leave_again.is_some_and(|at| at <= now) {
            self.leave_again = None;
            let Elsewhere { held, .. } = &self.sender.elsewhere;
            let there = held.values().find_map(|size| self.sender.elsewhere.takes(*size));
            there.into_iter().for_each(|there| self.go_elsewhere(there));
        }
    }

    /// What is held back and fits here, now that the same session goes on.
    pub(super) fn send_held(&mut self) {
        let limit = self.terms.maximum_packet_size;
        let fits = self.sender.elsewhere.held.iter().filter(|(_, size)| **size <= limit);
        for number in fits.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.sender.elsewhere.held.remove(&number);
            if let Some(Entry { message, .. }) = self.sender.queue.entry(number) {
                self.sender.inflight.again(number, self.terms.fit(message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_address_takes_it_when_it_has_said_so_and_is_there() {
        let mut elsewhere = Elsewhere::default();
        elsewhere.connected(1, 100);
        assert_eq!(elsewhere.takes(50), None, "it is this one");
        elsewhere.connected(0, 10);
        assert_eq!((elsewhere.takes(100), elsewhere.takes(101)), (Some(1), None));
        elsewhere.not_connected(1);
        assert_eq!(elsewhere.takes(50), None);
        elsewhere.connected(1, 20);
        elsewhere.not_connected(0);
        assert_eq!(elsewhere.takes(10), Some(0), "it is looked for");
        elsewhere.without_progress(0);
        assert_eq!(elsewhere.takes(10), None);
    }
}
