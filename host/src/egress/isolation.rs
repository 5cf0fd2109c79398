//! Which message it is on which the upstream ends the connection. Pure: time comes in.
//!
//! Some servers do not refuse a message, they close: on a character in its topic, on its size, its QoS, its retain flag. It is then the
//! oldest unacknowledged one of every connection, and nothing behind it ever gets through. But so is any message when the server
//! crashes or the network flaps. So:
//!
//! 1. **Suspicion.** [`ENDS`] abrupt ends in a row with the same oldest unacknowledged message. From then on messages go **alone**: each
//!    is sent when the one before is acknowledged, until all that was in flight is through. What is acknowledged is innocent.
//! 2. **Accusation.** [`ACCUSED`] connections end while the same message is alone in flight.
//! 3. **Proof.** The next connection first carries another message, the witness, and then the accused. When the witness is
//!    acknowledged and the connection ends on the accused, a server that takes messages does not take this one. It is guilty after
//!    [`PROOFS`] of these, with none on another message between them: once may be chance.
//!
//! A server that takes nothing has no witness, and convicts nobody; one that only crashes takes the accused when it is back. With
//! several culprits, one that was accused is no witness for the next. The witness is of another topic where there is one, so that order
//! holds even if the accused is innocent.
//!
//! A message that the server has received (PUBREC) and on whose PUBREL it closes is found in the same way: while messages go alone PUBRELs
//! do, too, and the witness goes before the PUBREL of the accused. That another PUBREL was answered is a witness for a PUBREL alone:
//! it was owed from before, and says nothing about what a server takes now.
//!
//! A message that waits with nobody beside it, or only with others on which connections ended, has no witness. It is guilty after
//! [`LONE_ENDS`] in at least [`LONE_TIME`], with a PINGREQ answered before each. Perhaps the server takes nothing at all: so the next one needs
//! [`LONGER`] times as long, until something is acknowledged.
//!
//! A message whose ack never comes ends the connection by our own [`ack_timeout`](super::ack_watch), and holds up nobody until then. It is
//! guilty after [`LATE`] connections on which others were acknowledged. A server that hangs on a message acknowledges nothing behind it: after
//! [`STUCK`] such connections in a row with the same oldest message it is accused, messages go alone, and the witness goes before it.
//!
//! All of this is forgotten with the process, and learned again in the same few connections.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::fault::{self, Fault};

const ENDS: u32 = 2;
const ACCUSED: u32 = 2;
const PROOFS: u32 = 2;
const LONE_ENDS: u32 = 10;
const LONE_TIME: Duration = Duration::from_secs(20);
/// A day of a server that takes nothing is six messages then, and not thousands.
const LONGER: u32 = 4;
/// 15 days.
const LONGEST: u32 = 8;
const LATE: u32 = 5;
const STUCK: u32 = 2;

#[derive(Default)]
pub struct Isolation {
    /// The oldest unacknowledged message of the last abrupt end, and of how many in a row.
    oldest: Option<(u64, u32)>,
    /// Messages go alone, up to this one.
    until: Option<u64>,
    /// Those that were alone when a connection ended. Bounded by the packet ids: each is in flight.
    suspects: BTreeMap<u64, Suspect>,
    /// Messages whose ack did not come in time, and how often.
    late: BTreeMap<u64, u32>,
    /// The message whose ack did not come when no other came either, and on how many connections in a row.
    stuck: Option<(u64, u32)>,
    /// The message on which a connection ended behind a witness, and how often in a row.
    proven: Option<(u64, u32)>,
    /// Another message was acknowledged on this connection.
    has_witness: bool,
    /// Another PUBREL was answered on this connection.
    has_completed: bool,
    /// So many were found guilty without a witness, and nothing was acknowledged since.
    unproven: u32,
    /// Of the message that is out alone, something has reached the socket.
    is_written: bool,
}

#[derive(Clone, Copy)]
struct Suspect {
    ends: u32,
    /// Of the first of them.
    since: Instant,
    /// Connections on which it was not acknowledged in time.
    lates: u32,
    /// The server has it, and its PUBREL was out.
    is_release: bool,
}

/// What was out when a connection ended.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    pub number: u64,
    /// The server has the message: its PUBREL was out.
    pub is_release: bool,
    /// Nothing behind this one is in flight.
    pub newest: u64,
}

/// On which the connection ends, so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guilty {
    pub number: u64,
    pub attempts: u32,
}

// === impl Isolation ===

impl Isolation {
    /// A new connection.
    pub fn begin(&mut self) {
        (self.has_witness, self.has_completed, self.is_written) = (false, false, false);
    }

    pub fn is_alone(&self) -> bool {
        self.until.is_some()
    }

    /// Whether another message has to go before the accused may.
    pub fn needs_witness(&self) -> bool {
        self.accused().next().is_some_and(|accused| !self.has_witness_for(accused))
    }

    fn has_witness_for(&self, number: u64) -> bool {
        let is_release = || self.suspects.get(&number).is_some_and(|suspect| suspect.is_release);
        self.has_witness || (self.has_completed && is_release())
    }

    /// The messages that are accused, the oldest first.
    pub fn accused(&self) -> impl Iterator<Item = u64> {
        self.suspects.iter().filter(|(_, suspect)| suspect.is_accused()).map(|(number, _)| *number)
    }

    pub fn is_accused(&self, number: u64) -> bool {
        self.suspects.get(&number).is_some_and(Suspect::is_accused)
    }

    /// Whether a connection ended while this one was alone.
    pub fn is_suspect(&self, number: u64) -> bool {
        self.suspects.contains_key(&number)
            || self.oldest.is_some_and(|(oldest, ends)| oldest == number && ends >= ENDS)
    }

    /// Connections that ended while this one was alone, or because of it.
    pub fn ends(&self, number: u64) -> u32 {
        self.suspects.get(&number).map_or(0, |suspect| suspect.ends + suspect.lates)
    }

    /// Connections that ended with this one unacknowledged.
    pub fn attempts(&self, number: u64) -> u32 {
        let oldest = self.oldest.filter(|(oldest, _)| *oldest == number).map_or(0, |(_, ends)| ends);
        let alone = self.suspects.get(&number).map_or(0, |suspect| suspect.ends);
        oldest.max(alone) + self.late.get(&number).copied().unwrap_or(0)
    }

    /// What is sent next is alone.
    pub fn sends(&mut self) {
        self.is_written = false;
    }

    pub fn written(&mut self) {
        self.is_written = true;
    }

    /// The server has taken it, and is one that takes messages. A refusal does not say so, nor a PUBCOMP, which is owed from before.
    pub fn acknowledged(&mut self, number: u64) {
        self.unproven = 0;
        self.has_witness = true;
        self.forget(number);
    }

    /// The server has answered its PUBREL.
    pub fn completed(&mut self) {
        self.has_completed = true;
    }

    /// It has met its fate.
    pub fn forget(&mut self, number: u64) {
        if self.oldest.is_some_and(|(oldest, _)| oldest == number) {
            self.oldest = None;
        }
        if self.proven.is_some_and(|(proven, _)| proven == number) {
            self.proven = None;
        }
        if self.stuck.is_some_and(|(stuck, _)| stuck == number) {
            self.stuck = None;
        }
        if !self.suspects.is_empty() {
            self.suspects.remove(&number);
        }
        if !self.late.is_empty() {
            self.late.remove(&number);
        }
    }

    /// The connection was ended by the other side, with this one as the oldest unacknowledged; it is lone when no other waits that could
    /// be a witness. Gives it when that is proof.
    pub fn cut(&mut self, out: Out, is_lone: bool, now: Instant) -> Option<Guilty> {
        let Out { number, newest, .. } = out;
        if fault::is_on(Fault::NoIsolation) {
            return None;
        }
        let before = self.oldest.filter(|(oldest, _)| *oldest == number).map_or(0, |(_, ends)| ends);
        self.oldest = Some((number, before + 1));
        let Some(until) = self.until else {
            self.until = (before + 1 >= ENDS).then_some(newest);
            return None;
        };
        self.until = Some(until.max(newest));
        if !self.is_written {
            return None;
        }
        let Suspect { ends, since, .. } = *self.suspect(out, now).ended(now);
        let is_proven = self.proofs(number) >= PROOFS && ends > ACCUSED;
        let patience = LONE_TIME * LONGER.pow(self.unproven.min(LONGEST));
        let is_long_enough = ends >= LONE_ENDS && now >= since + patience;
        let is_guilty = is_proven || (is_lone && is_long_enough);
        if !is_guilty {
            return None;
        }
        self.unproven += u32::from(!is_proven);
        self.forget(number);
        Some(Guilty { number, attempts: ENDS + ends })
    }

    fn suspect(&mut self, out: Out, now: Instant) -> &mut Suspect {
        let Out { number, is_release, .. } = out;
        self.suspects.entry(number).or_insert(Suspect { ends: 0, since: now, lates: 0, is_release })
    }

    /// How often in a row a connection has ended on this one behind a witness, when this one has.
    fn proofs(&mut self, number: u64) -> u32 {
        if !self.has_witness_for(number) {
            return 0;
        }
        let before = self.proven.filter(|(proven, _)| *proven == number).map_or(0, |(_, ends)| ends);
        self.proven = Some((number, before + 1));
        before + 1
    }

    /// Its ack did not come in time; `others` were acknowledged on this connection.
    pub fn late(&mut self, out: Out, others: bool, now: Instant) -> Option<Guilty> {
        let Out { number, newest, .. } = out;
        if fault::is_on(Fault::NoIsolation) {
            return None;
        }
        let before = self.stuck.filter(|(stuck, _)| *stuck == number).map_or(0, |(_, ends)| ends);
        self.stuck = (!others).then_some((number, before + 1));
        let is_stuck = !others && before + 1 >= STUCK;
        if let Some(until) = self.until {
            self.until = Some(until.max(newest));
            // Next time it goes behind a witness, or another one is the witness.
            self.suspect(out, now).lates += 1;
        } else if is_stuck {
            self.until = Some(newest);
            self.suspect(out, now).lates = STUCK;
        } else {
            // It disturbs none of the others.
            self.oldest = None;
        }
        if !others {
            return None;
        }
        let attempts = self.late.entry(number).or_insert(0);
        *attempts += 1;
        let attempts = *attempts;
        (attempts >= LATE).then(|| {
            self.forget(number);
            Guilty { number, attempts }
        })
    }

    /// All that was in flight is through, when the next one is behind it.
    pub fn ends_before(&mut self, next: Option<u64>) -> bool {
        let over = self.until.is_some_and(|until| next.is_none_or(|next| next > until));
        if over {
            self.calm();
        }
        over
    }

    fn calm(&mut self) {
        (self.until, self.oldest, self.stuck, self.proven) = (None, None, None, None);
        self.suspects.clear();
    }
}

// === impl Suspect ===

impl Suspect {
    fn is_accused(&self) -> bool {
        self.ends >= ACCUSED || self.lates >= STUCK
    }

    fn ended(&mut self, now: Instant) -> &mut Self {
        if self.ends == 0 {
            self.since = now;
        }
        self.ends += 1;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(number: u64) -> Out {
        Out { number, is_release: false, newest: 9 }
    }

    /// Suspicion has fallen on number 5, with 9 as the newest in flight.
    fn suspicious() -> Isolation {
        let mut isolation = Isolation::default();
        for _ in 0..ENDS {
            isolation.begin();
            assert_eq!((isolation.is_alone(), isolation.cut(out(5), false, Instant::now())), (false, None));
        }
        assert!(isolation.is_alone());
        isolation
    }

    /// A connection on which these are acknowledged, and then it ends on another.
    fn connection(isolation: &mut Isolation, acknowledged: &[u64], ends_on: u64, now: Instant) -> Option<Guilty> {
        connection_of(isolation, acknowledged, ends_on, false, now)
    }

    fn connection_of(
        isolation: &mut Isolation,
        acknowledged: &[u64],
        ends_on: u64,
        is_lone: bool,
        now: Instant,
    ) -> Option<Guilty> {
        isolation.begin();
        acknowledged.iter().for_each(|number| isolation.acknowledged(*number));
        isolation.sends();
        isolation.written();
        isolation.cut(out(ends_on), is_lone, now)
    }

    #[test]
    fn one_that_ends_connections_alone_and_behind_a_witness_is_guilty() {
        let mut isolation = suspicious();
        let now = Instant::now();
        assert_eq!(connection(&mut isolation, &[], 5, now), None);
        assert_eq!(connection(&mut isolation, &[], 5, now), None);
        assert!(isolation.needs_witness());
        assert_eq!(connection(&mut isolation, &[6], 5, now), None, "once may be chance");
        assert_eq!(connection(&mut isolation, &[7], 8, now), None);
        assert_eq!(connection(&mut isolation, &[7], 5, now), None, "it has ended on another since");
        assert_eq!(connection(&mut isolation, &[9], 5, now), Some(Guilty { number: 5, attempts: 7 }));
        assert!(isolation.is_alone(), "there may be others");
        assert!(!isolation.ends_before(Some(9)) && isolation.ends_before(Some(10)));
    }

    #[test]
    fn a_server_that_takes_nothing_convicts_nobody() {
        let mut isolation = suspicious();
        let now = Instant::now();
        for round in 0..1000 {
            assert_eq!(connection(&mut isolation, &[], 5 + round % 4, now + LONE_TIME * round as u32), None);
        }
    }

    #[test]
    fn what_is_acknowledged_is_innocent_and_counts_from_the_beginning() {
        let mut isolation = suspicious();
        let now = Instant::now();
        connection(&mut isolation, &[], 5, now);
        connection(&mut isolation, &[], 5, now);
        assert_eq!(connection(&mut isolation, &[6, 5], 7, now), None);
        assert_eq!((isolation.is_suspect(5), isolation.needs_witness()), (false, false));
    }

    #[test]
    fn one_that_never_reached_the_socket_is_not_to_blame() {
        let mut isolation = suspicious();
        for _ in 0..10 {
            isolation.begin();
            isolation.acknowledged(6);
            isolation.sends();
            assert_eq!(isolation.cut(out(5), false, Instant::now()), None);
        }
    }

    #[test]
    fn ends_with_another_oldest_message_each_time_raise_no_suspicion() {
        let mut isolation = Isolation::default();
        for number in 0..100 {
            isolation.begin();
            assert_eq!(isolation.cut(out(number), false, Instant::now()), None);
        }
        assert!(!isolation.is_alone());
    }

    #[test]
    fn one_without_others_is_guilty_after_many_ends_in_a_long_time_and_the_next_one_in_a_longer_one() {
        let mut isolation = suspicious();
        let start = Instant::now();
        let mut guilty = None;
        let mut ends = 0;
        while guilty.is_none() {
            guilty = connection_of(&mut isolation, &[], 5, true, start + LONE_TIME / LONE_ENDS * ends);
            ends += 1;
        }
        assert_eq!((guilty.map(|guilty| guilty.number), ends > LONE_ENDS), (Some(5), true));
        let start = start + LONE_TIME * 2;
        let next = |isolation: &mut Isolation, seconds| {
            connection_of(isolation, &[], 6, true, start + Duration::from_secs(seconds))
        };
        assert!((0..80).all(|seconds| next(&mut isolation, seconds).is_none()), "it takes longer");
        assert_eq!(next(&mut isolation, 80).map(|guilty| guilty.number), Some(6));
    }

    #[test]
    fn an_answered_pubrel_is_a_witness_for_a_pubrel_and_for_no_publish() {
        for is_release in [true, false] {
            let (mut isolation, now) = (suspicious(), Instant::now());
            let ends = |isolation: &mut Isolation| {
                isolation.begin();
                isolation.completed();
                isolation.sends();
                isolation.written();
                isolation.cut(Out { is_release, ..out(5) }, false, now)
            };
            assert!((0..2).all(|_| ends(&mut isolation).is_none()));
            let guilty = Some(Guilty { number: 5, attempts: 5 });
            assert_eq!(ends(&mut isolation), guilty.filter(|_| is_release));
        }
    }

    #[test]
    fn an_ack_that_never_comes_is_counted_only_where_others_came() {
        let (mut isolation, now) = (Isolation::default(), Instant::now());
        assert!((0..100).all(|_| isolation.late(out(5), false, now).is_none()));
        assert!(isolation.is_alone() && isolation.needs_witness());
        assert!((1..LATE).all(|_| isolation.late(out(5), true, now).is_none()));
        assert_eq!(isolation.late(out(5), true, now), Some(Guilty { number: 5, attempts: LATE }));
    }
}
