//! Signs that another client uses our client id: a cloned card, a copied configuration, a tool. Pure: time comes in.
//!
//! - A server of MQTT 5 says so: DISCONNECT 0x8E, "Session taken over".
//! - A server of 3.1.1 just closes, and mosquitto 2.0.11 does in both versions. A line that breaks looks the same, and so does a server
//!   that restarts or closes on a message. But the other client comes back at once, as we do. So after such an end **nothing is said on
//!   the next connection for a moment**, when QoS 2 is open or the end came early: who is closed then without having said a word, three times in
//!   a row, has met another client. Less may be a server that restarts, as is one that is not there in between.
//! - The same before a session is cleared that an installation finds at its first connection: another one may be using it.
//!
//! From then on, and for a while, a session is never gone on with: each connection begins anew, what was open is sent again, and QoS 2
//! among it is counted as possible duplicates. Both clients come to that within their first meetings, before either has sent
//! anything in the session of the other.
//!
//! A moment is enough once: without a connection that lasted, the next ones go on at once, or to find a message on which the server
//! closes (`isolation`) would take long.
//!
//! Each of the two ends the other again and again, so it is told once an hour and not each time.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// So many takeovers in so much time are no accident: one comes from a gateway that was started twice by mistake.
const TAKEOVERS: usize = 3;
const WITHIN: Duration = Duration::from_secs(10 * 60);

/// So many connections in a row that the server closes within seconds of letting us in.
const CLOSED: u32 = 5;

const AGAIN_AFTER: Duration = Duration::from_secs(60 * 60);

/// So many connections in a row that were closed before anything was said. Two of them may be a server that restarts again and again.
const SILENT: u32 = 3;

/// After the last sign. The other may have been switched off; and where it was none, but a line that breaks or a server that closes on
/// a message, no more than this is without a session. Another client that is still there is found again within seconds.
const CAREFUL_FOR: Duration = Duration::from_secs(10 * 60);

#[derive(Default)]
pub struct Rivals {
    takeovers: VecDeque<Instant>,
    closed: u32,
    told: Option<Instant>,
    /// The last connection was ended by the other side, perhaps for another client.
    doubt: bool,
    /// On a connection that was listened to nobody came, and none has lasted since.
    is_heard: bool,
    /// Connections in a row that were closed before anything was said.
    silent: u32,
    /// When another client was last seen for certain.
    seen: Option<Instant>,
}

/// Something to tell now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// So many times in [`WITHIN`].
    TakenOver(usize),
    /// So many times in a row.
    Closed(u32),
}

// === impl Rivals ===

impl Rivals {
    /// Another client has our session: the server has said so, or has closed a connection on which nothing was said.
    pub fn taken_over(&mut self, now: Instant) -> Option<Sign> {
        self.seen = Some(now);
        self.again(now)
    }

    fn again(&mut self, now: Instant) -> Option<Sign> {
        if self.takeovers.len() == TAKEOVERS {
            self.takeovers.pop_front();
        }
        self.takeovers.push_back(now);
        let first = *self.takeovers.front()?;
        let is_sign = self.takeovers.len() == TAKEOVERS && now - first <= WITHIN;
        self.tell(now, is_sign.then_some(Sign::TakenOver(TAKEOVERS)))
    }

    /// The server has closed soon after it had let us in. Where another client was seen it has come again, most likely. Not for certain:
    /// it may be a message on which the server closes, so that this lengthens nothing.
    pub fn closed_early(&mut self, now: Instant) -> Option<Sign> {
        if self.is_careful(now) {
            return self.again(now);
        }
        self.closed = self.closed.saturating_add(1);
        self.tell(now, (self.closed >= CLOSED).then_some(Sign::Closed(self.closed)))
    }

    /// The other side has ended the connection.
    pub fn closed(&mut self) {
        self.doubt = true;
    }

    /// The process before this one ended in doubt.
    pub fn remembered(doubt: bool) -> Self {
        // It may have had QoS 2 open.
        Self { doubt, closed: u32::from(doubt), ..Self::default() }
    }

    /// Whether another client may have the session, so that nothing is to be said for a moment.
    pub fn must_listen(&self, is_exactly_once_open: bool) -> bool {
        self.doubt && !self.is_heard && (is_exactly_once_open || self.closed > 0)
    }

    /// Nobody came.
    pub fn listened(&mut self) {
        (self.doubt, self.is_heard, self.silent) = (false, true, 0);
    }

    /// A connection was closed before anything was said. Whether that is another client for certain.
    pub fn closed_silent(&mut self) -> bool {
        self.silent += 1;
        // From here on it is listened however the last connection ended.
        self.doubt = true;
        self.closed = self.closed.saturating_add(1);
        self.silent >= SILENT
    }

    /// Whether the session may be that of another client after each end.
    pub fn is_careful(&self, now: Instant) -> bool {
        self.seen.is_some_and(|seen| now - seen < CAREFUL_FOR)
    }

    /// Whether connections are closed early again and again.
    pub fn is_suspected(&self) -> bool {
        self.closed >= CLOSED
    }

    /// Not closed early.
    pub fn other_end(&mut self) {
        (self.closed, self.silent) = (0, 0);
    }

    /// A connection has lasted.
    pub fn lasted(&mut self) {
        self.is_heard = false;
    }

    fn tell(&mut self, now: Instant, sign: Option<Sign>) -> Option<Sign> {
        let is_due = self.told.is_none_or(|told| now - told >= AGAIN_AFTER);
        let sign = sign.filter(|_| is_due)?;
        self.told = Some(now);
        Some(sign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn takeovers_are_a_sign_when_they_come_close_together_and_are_told_once_an_hour() {
        let (mut rivals, start) = (Rivals::default(), Instant::now());
        let apart = [0, 6, 12].map(|minute| rivals.taken_over(start + minute * MINUTE));
        assert_eq!(apart, [None, None, None], "12 minutes");
        assert_eq!(rivals.taken_over(start + 13 * MINUTE), Some(Sign::TakenOver(3)));
        let hour: Vec<_> = (14..73).filter_map(|minute| rivals.taken_over(start + minute * MINUTE)).collect();
        assert_eq!(hour, []);
        assert_eq!(rivals.taken_over(start + 73 * MINUTE), Some(Sign::TakenOver(3)));
    }

    #[test]
    fn after_an_end_by_the_other_side_it_is_listened_once_until_a_connection_has_lasted() {
        let mut rivals = Rivals::default();
        assert!(!rivals.must_listen(true));
        rivals.closed();
        assert_eq!((rivals.must_listen(true), rivals.must_listen(false)), (true, false));
        rivals.closed_early(Instant::now());
        assert!(rivals.must_listen(false), "it ended early");
        rivals.listened();
        rivals.closed();
        assert!(!rivals.must_listen(true));
        rivals.lasted();
        rivals.closed();
        assert!(rivals.must_listen(true));
        assert!(Rivals::remembered(true).must_listen(false) && !Rivals::remembered(false).must_listen(true));
    }

    #[test]
    fn three_connections_in_a_row_that_are_closed_in_silence_are_another_client() {
        let mut rivals = Rivals::default();
        assert!(!rivals.closed_silent() && rivals.must_listen(false));
        rivals.other_end();
        assert!(!rivals.closed_silent() && !rivals.closed_silent(), "the server was away");
        assert!(rivals.closed_silent());
    }

    #[test]
    fn who_has_met_another_client_is_careful_for_a_while_and_early_ends_do_not_lengthen_it() {
        let (mut rivals, start) = (Rivals::default(), Instant::now());
        rivals.closed_early(start);
        assert!(!rivals.is_careful(start));
        rivals.taken_over(start);
        rivals.closed_early(start + 9 * MINUTE);
        assert!(rivals.is_careful(start + 9 * MINUTE) && !rivals.is_careful(start + 11 * MINUTE));
    }

    #[test]
    fn early_ends_are_a_sign_when_nothing_else_comes_between() {
        let (mut rivals, now) = (Rivals::default(), Instant::now());
        (0..4).for_each(|_| assert_eq!(rivals.closed_early(now), None));
        rivals.other_end();
        (0..4).for_each(|_| assert_eq!(rivals.closed_early(now), None));
        assert_eq!((rivals.closed_early(now), rivals.closed_early(now)), (Some(Sign::Closed(5)), None));
    }
}
