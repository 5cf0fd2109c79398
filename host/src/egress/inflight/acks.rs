//! What the server and the disk say, and what follows from it.

use super::{Ack, Inflight, State, Step, packet_id};
use crate::base::fault::{self, Fault};
use crate::message::{Message, QoS};
use crate::mqtt::Reason;
use crate::spool::Confirmed;

/// New sessions in a row that are begun because an id is in use. A server that says so in each of them refuses the message.
const RESETS: u32 = 3;

impl Inflight {
    /// Also for a QoS 2 PUBLISH: a server that knows no QoS 2 answers so, and nothing more will come.
    pub fn on_puback(&mut self, ack: Ack) -> Step {
        match self.find(ack.packet_id) {
            Some((_, Some(QoS::ExactlyOnce), _)) if fault::is_on(Fault::WrongAcksIgnored) => Step::Nothing,
            Some((number, Some(_), State::Published)) => self.finish(number, ack.reason),
            _ => Step::Nothing,
        }
    }

    pub fn on_pubrec(&mut self, ack: Ack) -> Step {
        match self.find(ack.packet_id) {
            Some((_, Some(QoS::AtLeastOnce), _)) if fault::is_on(Fault::WrongAcksIgnored) => Step::Nothing,
            Some((number, Some(_), State::Published)) if ack.reason.is_failure() => self.finish(number, ack.reason),
            Some((number, Some(_), State::Published)) => self.receive(number),
            Some((_, _, State::Received { .. })) => Step::Nothing,
            Some((number, _, State::Released { .. })) => Step::Release(success(number)),
            // A failure has closed the server's side already.
            _ if ack.reason.is_failure() => Step::Nothing,
            _ => Step::Release(Ack { packet_id: ack.packet_id, reason: Reason::PACKET_IDENTIFIER_NOT_FOUND }),
        }
    }

    /// Any reason ends the exchange: 0x92 says that the server had finished before, its PUBCOMP was lost.
    pub fn on_pubcomp(&mut self, ack: Ack) -> Step {
        self.abandoned.remove(&ack.packet_id);
        match self.find(ack.packet_id) {
            Some((number, _, State::Released { .. })) => self.finish(number, Reason::SUCCESS),
            _ => Step::Nothing,
        }
    }

    /// What has become durable. Returns the PUBRELs that may now be sent.
    pub fn confirm(&mut self, confirmed: &Confirmed) -> Vec<Ack> {
        for number in confirmed.done.numbers() {
            if self.exchanges.get(&number).is_some_and(|exchange| exchange.state == State::Done) {
                self.exchanges.remove(&number);
                self.by_id.remove(&packet_id(number));
                self.closing -= 1;
                self.blocked = false;
            }
        }
        let mut releases = Vec::new();
        for number in &confirmed.released {
            if let Some(exchange) = self.exchanges.get_mut(number)
                && let State::Received { turn } = exchange.state
            {
                exchange.state = State::Released { turn };
                releases.push(success(*number));
            }
        }
        releases
    }

    fn find(&self, id: u16) -> Option<(u64, Option<QoS>, State)> {
        let number = *self.by_id.get(&id)?;
        let exchange = self.exchanges.get(&number)?;
        Some((number, exchange.message.as_ref().map(|message| message.qos), exchange.state))
    }

    fn receive(&mut self, number: u64) -> Step {
        self.releases += 1;
        let turn = self.releases;
        if let Some(exchange) = self.exchanges.get_mut(&number) {
            // At QoS 1 it was not among them, and is now: the server goes by QoS 2.
            let is_raised = !exchange.is_exactly_once();
            self.exactly_once += usize::from(is_raised);
            self.raised += u64::from(is_raised);
            exchange.state = State::Received { turn };
        }
        self.resend.retain(|waiting| *waiting != number);
        Step::Receive { number, turn }
    }

    fn finish(&mut self, number: u64, reason: Reason) -> Step {
        if reason == Reason::PACKET_IDENTIFIER_IN_USE && self.resets < RESETS {
            self.resets += 1;
            return Step::Reset;
        }
        match self.end(number) {
            Some(message) => {
                if !reason.is_failure() {
                    self.resets = 0;
                }
                Step::Done { number, message, reason }
            }
            None => Step::Nothing,
        }
    }

    /// Over, but for the disk. Gives its message back.
    pub(super) fn end(&mut self, number: u64) -> Option<Option<Message>> {
        let exchange = self.exchanges.get_mut(&number).filter(|exchange| exchange.state != State::Done)?;
        self.exactly_once -= usize::from(exchange.is_exactly_once());
        exchange.state = State::Done;
        self.closing += 1;
        let message = exchange.message.take();
        if !self.resend.is_empty() {
            self.resend.retain(|waiting| *waiting != number);
        }
        Some(message)
    }
}

pub(super) fn success(number: u64) -> Ack {
    Ack { packet_id: packet_id(number), reason: Reason::SUCCESS }
}
