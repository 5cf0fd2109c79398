//! What the receiver and the disk say, and what follows from it.

use super::{Ack, Outgoing, Released, Reply, Sender, State, Step, WrongAck};
use crate::base::fault::{self, Fault};
use crate::message::QoS;
use crate::mqtt::Reason;

/// An exchange that has just ended.
pub(super) struct Ended<M> {
    pub message: Option<M>,
}

// === impl Sender ===

impl<M: Outgoing> Sender<M> {
    pub fn hear(&mut self, reply: Reply) -> Step<M> {
        match reply {
            Reply::PubAck(ack) => self.on_puback(ack),
            Reply::PubRec(ack) => self.on_pubrec(ack),
            Reply::PubComp(ack) => self.on_pubcomp(ack),
        }
    }

    /// Whether the exchange with this identifier cannot have such an ack: inconsistent with the state of the sender, and so a protocol error
    /// (section 4.13). One that belongs to no exchange is none, it may be late.
    pub fn is_contradicted_by(&self, reply: Reply) -> bool {
        let (Reply::PubAck(Ack { packet_id, .. })
        | Reply::PubRec(Ack { packet_id, .. })
        | Reply::PubComp(Ack { packet_id, .. })) = reply;
        let Some((number, state)) = self.find(packet_id) else { return false };
        let is_published = state == State::Published;
        let is_exactly_once = self.exchanges.get(&number).is_some_and(super::Exchange::is_exactly_once);
        match reply {
            _ if matches!(state, State::Refused | State::Done) => false,
            Reply::PubAck(_) => !is_published || is_exactly_once,
            Reply::PubRec(_) => is_published && !is_exactly_once,
            Reply::PubComp(_) => !matches!(state, State::Released { .. }),
        }
    }

    fn on_puback(&mut self, ack: Ack) -> Step<M> {
        match self.find(ack.packet_id) {
            Some((number, State::Published)) if self.fits(number, QoS::AtLeastOnce) => self.finish(number, ack.reason),
            _ => Step::Nothing,
        }
    }

    fn on_pubrec(&mut self, ack: Ack) -> Step<M> {
        match self.find(ack.packet_id) {
            Some((number, State::Published)) if self.fits(number, QoS::ExactlyOnce) => match ack.reason.is_failure() {
                true => self.finish(number, ack.reason),
                false => self.receive(number),
            },
            Some((_, State::Received { .. })) => Step::Nothing,
            Some((_, State::Released { .. })) => Step::Release(success(ack.packet_id)),
            // A failure has closed the receiver's side already.
            _ if ack.reason.is_failure() => Step::Nothing,
            _ => Step::Release(Ack { packet_id: ack.packet_id, reason: Reason::PACKET_IDENTIFIER_NOT_FOUND }),
        }
    }

    /// Any reason ends the exchange: 0x92 says that the receiver had finished before, its PUBCOMP was lost.
    fn on_pubcomp(&mut self, ack: Ack) -> Step<M> {
        self.abandoned.remove(&ack.packet_id);
        match self.find(ack.packet_id) {
            Some((number, State::Released { .. })) => self.finish(number, Reason::SUCCESS),
            _ => Step::Nothing,
        }
    }

    /// What has become durable. Returns the PUBRELs that may now be sent.
    pub fn confirm(
        &mut self,
        done: impl IntoIterator<Item = u64>,
        received: impl IntoIterator<Item = u64>,
    ) -> Vec<Ack> {
        for number in done {
            if self.exchanges.get(&number).is_some_and(|exchange| exchange.state == State::Done) {
                self.closing -= 1;
                self.remove(number);
            }
        }
        received.into_iter().filter_map(|number| self.release(number)).collect()
    }

    /// It is durable that the receiver has this one: its PUBREL, when it waited for that.
    pub fn release(&mut self, number: u64) -> Option<Ack> {
        let exchange = self.exchanges.get_mut(&number)?;
        let State::Received { sequence } = exchange.state else { return None };
        exchange.state = State::Released { sequence };
        Some(success(exchange.packet_id))
    }

    fn find(&self, packet_id: u16) -> Option<(u64, State)> {
        let number = self.by_id.get(packet_id)?;
        Some((number, self.exchanges.get(&number)?.state))
    }

    /// Whether the ack of this QoS is one for this exchange.
    fn fits(&self, number: u64, qos: QoS) -> bool {
        let message = self.exchanges.get(&number).and_then(|exchange| exchange.message.as_ref());
        let counts = self.rules.wrong_ack == WrongAck::Counts && !fault::is_on(Fault::WrongAcksIgnored);
        message.is_some_and(|message| counts || message.qos() == qos)
    }

    fn receive(&mut self, number: u64) -> Step<M> {
        self.releases += 1;
        let sequence = self.releases;
        if let Some(exchange) = self.exchanges.get_mut(&number) {
            // At QoS 1 it was not among them, and is now: the receiver goes by QoS 2.
            let is_raised = !exchange.is_exactly_once();
            self.exactly_once += usize::from(is_raised);
            self.raised += u64::from(is_raised);
            exchange.state = State::Received { sequence };
            exchange.message.iter_mut().for_each(M::received);
        }
        self.resend.retain(|waiting| *waiting != number);
        Step::Receive(Released { number, sequence })
    }

    fn finish(&mut self, number: u64, reason: Reason) -> Step<M> {
        if reason == Reason::PACKET_IDENTIFIER_IN_USE && self.resets < self.rules.resets {
            self.resets += 1;
            return Step::Reset;
        }
        let Some(Ended { message }) = self.end(number) else { return Step::Nothing };
        if !reason.is_failure() {
            self.resets = 0;
        }
        Step::Done { number, message, reason }
    }

    /// Over, but for the disk where that matters.
    pub(super) fn end(&mut self, number: u64) -> Option<Ended<M>> {
        let exchange = self.exchanges.get_mut(&number).filter(|exchange| exchange.state != State::Done)?;
        self.exactly_once -= usize::from(exchange.is_exactly_once());
        exchange.state = State::Done;
        let message = exchange.message.take();
        if !self.resend.is_empty() {
            self.resend.retain(|waiting| *waiting != number);
        }
        if !self.withheld.is_empty() {
            self.withheld.retain(|waiting| *waiting != number);
        }
        if self.rules.ends_when_durable {
            self.closing += 1;
        } else {
            self.remove(number);
        }
        Some(Ended { message })
    }

    fn remove(&mut self, number: u64) {
        if let Some(exchange) = self.exchanges.remove(&number) {
            self.by_id.remove(exchange.packet_id);
            self.blocked = false;
        }
    }
}

pub(super) fn success(packet_id: u16) -> Ack {
    Ack { packet_id, reason: Reason::SUCCESS }
}
