//! From the spool into the outbox while it is looked for the message on which the server ends the connection (`isolation`): one is in
//! flight at a time, also of those whose PUBREL is left, and the accused go behind a witness.

use super::{Sender, Session};
use crate::mqtt::client::Outgoing;
use crate::spool::{Entry, Position};
use crate::topic::TopicName;

/// How many are looked at for one of another topic than the accused.
const CANDIDATES: usize = 32;

/// What the search for the culprit keeps of one connection.
#[derive(Default)]
pub struct Alone {
    was_probed: bool,
    waits_for_pong: bool,
    /// Bytes of the connection before the message that is out.
    from: u64,
}

/// What may go before the accused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Witness {
    /// Was sent on an earlier connection.
    Open,
    /// Only its PUBREL is left.
    Received,
    /// Of the spool.
    Fresh,
}

// === impl Alone ===

impl Alone {
    pub fn pong(&mut self) {
        self.waits_for_pong = false;
    }

    pub fn from(&self) -> u64 {
        self.from
    }
}

// === impl Session ===

impl Session<'_> {
    pub(super) fn fill_alone(&mut self) {
        self.sender.inflight.let_pass(true);
        while self.may_send_alone() && self.step_alone() {}
        self.sender.inflight.let_pass(false);
    }

    fn may_send_alone(&self) -> bool {
        self.sender.isolation.is_alone()
            && !self.alone.waits_for_pong
            && self.sender.inflight.is_quiet()
            && self.out.room() > 0
            && !self.is_going_back()
    }

    /// `false` when nothing more can be done now.
    fn step_alone(&mut self) -> bool {
        if self.sender.isolation.accused().next().is_some() && !self.alone.was_probed {
            // Whatever ends the connection now, it was one that worked.
            self.probe();
            return false;
        }
        self.sender.isolation.sends();
        self.alone.from = self.out.sent().queued;
        (self.sender.isolation.needs_witness() && self.send_witness()) || self.send_next()
    }

    /// The answer says that all before it was read, and that the server had nothing against it.
    fn probe(&mut self) {
        self.ping();
        (self.alone.was_probed, self.alone.waits_for_pong) = (true, true);
    }

    /// In order: what was in flight, then the spool.
    fn send_next(&mut self) -> bool {
        if let Some(number) = self.sender.inflight.withheld().next() {
            self.release(number);
            return false;
        }
        let waiting = self.sender.inflight.waiting().next().map(|(number, _)| number);
        let read = if waiting.is_none() { self.sender.queue.read(self.cursor, 1, 1).pop() } else { None };
        let next = waiting.or(read.as_ref().map(|entry| entry.position.number));
        if self.sender.isolation.ends_before(next) {
            tracing::info!(upstream = self.sender.upstream, "messages are sent together again");
            return false;
        }
        match (waiting, read) {
            (Some(number), _) => self.repeat(number),
            (None, Some(entry)) => self.read_alone(entry),
            (None, None) => false,
        }
    }

    /// Without a look at its age: what the server has is never too old (MQTT 5, section 4.3.3).
    pub(super) fn release(&mut self, number: u64) {
        let release = self.sender.inflight.release_withheld(number);
        release.into_iter().for_each(|release| self.write(Outgoing::PubRel(release)));
    }

    fn repeat(&mut self, number: u64) -> bool {
        if self.sender.expire_suspect(number) {
            return true;
        }
        !self.resend(number)
    }

    /// QoS 0 has no ack, so that the answer to a PINGREQ stands for it.
    fn read_alone(&mut self, entry: Entry) -> bool {
        let position = entry.position;
        if !self.offer(entry) {
            return false;
        }
        self.cursor = position;
        let is_out = self.out.sent().queued > self.alone.from;
        if is_out && self.sender.inflight.is_quiet() {
            self.probe();
        }
        !is_out
    }

    /// The one that the fewest connections ended on, and of those one of another topic than the accused. Better one of the same topic than
    /// none: it overtakes what is never forwarded, or was not taken twice. Another PUBREL where a PUBREL is accused. `false` when there is none.
    fn send_witness(&mut self) -> bool {
        let Some(accused) = self.sender.isolation.accused().next() else { return false };
        let topic = self.topic(accused);
        let rank = |number: u64, of: &TopicName| {
            (self.sender.isolation.ends(number), number > accused && topic.as_ref() == Some(of), number)
        };
        let open = self.sender.inflight.waiting().filter(|(number, _)| *number != accused);
        let open = open.map(|(number, message)| (rank(number, &message.topic), Witness::Open));
        let fresh = self.fresh_witnesses().into_iter().map(|(number, topic)| (rank(number, &topic), Witness::Fresh));
        let received = self.received_witnesses(accused).into_iter();
        let received = received.map(|number| ((self.sender.isolation.ends(number), true, number), Witness::Received));
        match open.chain(fresh).chain(received).min() {
            Some(((.., number), Witness::Open)) => _ = self.repeat(number),
            Some(((.., number), Witness::Received)) => self.release(number),
            Some(((.., number), Witness::Fresh)) => self.send_early(number),
            None => {}
        }
        !self.sender.inflight.is_quiet()
    }

    /// None for an accused whose PUBLISH is out.
    fn received_witnesses(&self, accused: u64) -> Vec<u64> {
        let withheld = || self.sender.inflight.withheld();
        let is_received = withheld().any(|number| number == accused);
        withheld().filter(|number| is_received && *number != accused).collect()
    }

    /// Of the spool: the first that were not sent yet. Those on which a connection ended are not among them, or a row of culprits that is
    /// longer than this would have no witness, ever.
    fn fresh_witnesses(&self) -> Vec<(u64, TopicName)> {
        let Sender { inflight, isolation, queue, .. } = &*self.sender;
        let fresh = queue.find(CANDIDATES, |number| !inflight.contains(number) && isolation.ends(number) == 0);
        if !fresh.is_empty() {
            return fresh;
        }
        // After a lost session those that were sent are not open any more.
        queue.find(CANDIDATES, |number| !inflight.contains(number) && !isolation.accused().any(|other| other == number))
    }

    /// Before what is in front of it.
    fn send_early(&mut self, number: u64) {
        // From here on it may have been sent.
        let before = Position { number: number.saturating_sub(1), sequence: u64::MAX };
        let read = self.sender.queue.read(before, 1, 1).pop();
        read.into_iter().for_each(|entry| self.send(entry, Some(number)));
    }

    fn topic(&self, number: u64) -> Option<TopicName> {
        self.sender.queue.entry(number).map(|entry| entry.message.topic)
    }
}
