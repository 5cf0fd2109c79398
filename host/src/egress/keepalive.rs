//! When to ask whether the upstream is alive, and when to stop believing it. Pure: time comes in.
//!
//! - A PINGREQ goes out when for three quarters of the keep-alive nothing was sent, or nothing was heard: the first keeps the
//!   server from closing [MQTT-3.1.2-20], the second finds a dead server under a stream of QoS 0.
//! - A server that is not heard for one and a half keep-alives is dead. The last half or more of it was asked.
//! - A Server Keep Alive (section 3.2.2.3.14) is the server's, for what it wants to hear: a shorter one makes us ask more often. How
//!   long we listen is ours: zero, for a server that does not watch, or hours would leave a dead one undiscovered, and a second
//!   would take every slow line for dead.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::fault::{self, Fault};

/// How often we speak at least, and how long we listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    every: Duration,
    patience: Duration,
}

pub struct KeepAlive {
    pace: Pace,
    sent: Instant,
    heard: Instant,
    /// A PINGREQ is out and nothing has been heard since.
    asked: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    Ping,
    Dead(Duration),
}

// === impl Pace ===

impl Pace {
    /// Of our keep-alive, and of the server's when it has set one.
    pub fn new(ours: Duration, servers: Option<Duration>) -> Self {
        if servers == Some(Duration::ZERO) && fault::is_on(Fault::ServerKeepAliveObeyed) {
            let never = Duration::from_secs(u32::MAX.into());
            return Self { every: never, patience: never };
        }
        let every = servers.filter(|servers| !servers.is_zero()).map_or(ours, |servers| servers.min(ours));
        Self { every, patience: ours.mul_f64(1.5) }
    }
}

// === impl KeepAlive ===

impl KeepAlive {
    pub fn new(pace: Pace, now: Instant) -> Self {
        Self { pace, sent: now, heard: now, asked: false }
    }

    pub fn sent(&mut self, now: Instant) {
        self.sent = now;
    }

    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked = false;
    }

    /// When to look again.
    pub fn deadline(&self) -> Instant {
        if self.asked { self.death() } else { self.ping().min(self.death()) }
    }

    pub fn check(&mut self, now: Instant) -> Due {
        if now >= self.death() {
            return Due::Dead(now - self.heard);
        }
        if self.asked || now < self.ping() {
            return Due::Nothing;
        }
        self.asked = true;
        Due::Ping
    }

    fn ping(&self) -> Instant {
        self.sent.min(self.heard) + self.pace.every.mul_f64(0.75)
    }

    fn death(&self) -> Instant {
        self.heard + self.pace.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_idle_connection_is_asked_before_the_server_would_close_it() {
        let start = Instant::now();
        let mut keep_alive = KeepAlive::new(Pace::new(4 * SECOND, None), start);
        assert_eq!(keep_alive.check(start + 2 * SECOND), Due::Nothing);
        assert_eq!(keep_alive.deadline(), start + 3 * SECOND);
        assert_eq!(keep_alive.check(start + 3 * SECOND), Due::Ping);
        assert_eq!(keep_alive.check(start + 3 * SECOND), Due::Nothing, "asked once");
    }

    #[test]
    fn a_peer_that_does_not_answer_is_dead_after_one_and_a_half_keep_alives() {
        let start = Instant::now();
        let mut keep_alive = KeepAlive::new(Pace::new(4 * SECOND, None), start);
        keep_alive.check(start + 3 * SECOND);
        keep_alive.sent(start + 5 * SECOND);
        assert_eq!(keep_alive.deadline(), start + 6 * SECOND);
        assert_eq!(keep_alive.check(start + 6 * SECOND), Due::Dead(6 * SECOND));
    }

    #[test]
    fn an_answer_begins_a_new_round_and_either_silence_asks() {
        let start = Instant::now();
        let mut keep_alive = KeepAlive::new(Pace::new(4 * SECOND, None), start);
        keep_alive.check(start + 3 * SECOND);
        keep_alive.sent(start + 3 * SECOND);
        keep_alive.heard(start + 4 * SECOND);
        keep_alive.sent(start + 6 * SECOND);
        assert_eq!(keep_alive.check(start + 6 * SECOND), Due::Nothing);
        assert_eq!(keep_alive.check(start + 7 * SECOND), Due::Ping, "we talk, but hear nothing");
        let mut listening = KeepAlive::new(Pace::new(4 * SECOND, None), start);
        listening.heard(start + 3 * SECOND);
        assert_eq!(listening.check(start + 3 * SECOND), Due::Ping, "we hear, but say nothing");
    }

    #[test]
    fn a_server_makes_us_ask_more_often_and_never_wait_longer_or_shorter_for_an_answer() {
        let pace = |servers: u64| Pace::new(20 * SECOND, Some(Duration::from_secs(servers)));
        for (servers, every) in [(0, 20), (1, 1), (20, 20), (65_535, 20)] {
            assert_eq!(pace(servers), Pace { every: every * SECOND, patience: 30 * SECOND }, "{servers}");
        }
    }
}
