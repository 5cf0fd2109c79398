//! From the socket into the exchanges: acks, and what else a server may say.

use tokio::time::Instant;

use super::{Sender, Session};
use crate::base::fault::{self, Fault};
use crate::base::kill_point::{self, KillPoint};
use crate::base::wake::batch_wakes;
use crate::egress::link_error::LinkError;
use crate::egress::unasked::Unasked;
use crate::message::{Message, QoS};
use crate::mqtt::client::{Incoming, Outgoing};
use crate::mqtt::sender::{self, Released, Reply, Step};
use crate::mqtt::{Ack, Reason};
use crate::spool::{Fate, Position};

impl Sender {
    /// The server has acknowledged something.
    pub(super) fn made_progress(&mut self, number: u64) {
        self.acks.progress = true;
        self.isolation.forget(number);
        if std::mem::take(&mut self.acks.stalled) {
            tracing::info!(upstream = self.upstream, "the upstream acknowledges again");
        }
    }

    fn tell_raised(&mut self) {
        if !std::mem::replace(&mut self.acks.told_raised, true) {
            tracing::warn!(
                upstream = self.upstream,
                "the upstream answers QoS 1 with PUBREC; the exchange goes on as QoS 2"
            );
        }
    }
}

impl Session<'_> {
    /// Every whole packet that has arrived.
    pub(super) fn receive(&mut self) -> Result<(), LinkError> {
        let _turn = batch_wakes();
        loop {
            let before = self.input.len();
            let Some(packet) = self.decoder.decode(&mut self.input)? else { return Ok(()) };
            self.size = before - self.input.len();
            if let Incoming::PubAck(_) | Incoming::PubRec(_) = packet {
                kill_point::reach(KillPoint::UpstreamAck);
            }
            self.take(packet)?;
        }
    }

    fn take(&mut self, packet: Incoming) -> Result<(), LinkError> {
        match packet {
            Incoming::PubAck(ack) => self.take_puback(ack),
            Incoming::PubRec(ack) => self.take_pubrec(ack),
            Incoming::PubComp(ack) => self.take_pubcomp(ack),
            Incoming::Publish(publish) => self.take_publish(*publish),
            Incoming::Unusable { qos, packet_id, reason } => self.take_unusable(qos, packet_id, reason),
            Incoming::SubAck(list) => self.take_suback(&list),
            Incoming::UnsubAck(list) => self.take_unsuback(&list),
            Incoming::PingResp => {
                if !self.proofs.is_asked() {
                    self.bear(Unasked::PingResp)?;
                }
                self.answered();
                Ok(())
            }
            Incoming::PubRel(id) => self.take_pubrel(id),
            Incoming::Disconnect { reason, text, server } => Err(LinkError::Disconnected { reason, text, server }),
            Incoming::ConnAck(_) => Err(LinkError::OutOfTurn("a second CONNACK")),
        }
    }

    fn take_puback(&mut self, ack: Ack) -> Result<(), LinkError> {
        let step = self.sender.inflight.hear(Reply::PubAck(ack));
        if let Step::Done { message: Some(message), .. } = &step
            && message.qos == QoS::ExactlyOnce
        {
            self.lower();
        }
        self.witness(&step);
        self.step(step)
    }

    fn take_pubrec(&mut self, ack: Ack) -> Result<(), LinkError> {
        let step = self.sender.inflight.hear(Reply::PubRec(ack));
        self.witness(&step);
        self.step(step)?;
        if self.sender.inflight.take_raised() > 0 {
            self.sender.tell_raised();
        }
        Ok(())
    }

    fn take_pubcomp(&mut self, ack: Ack) -> Result<(), LinkError> {
        let step = self.sender.inflight.hear(Reply::PubComp(ack));
        if let Step::Done { .. } = step {
            self.sender.isolation.completed();
        }
        self.step(step)?;
        kill_point::reach(KillPoint::Completed);
        Ok(())
    }

    /// What was just read has nobody asked for.
    pub(super) fn bear(&mut self, unasked: Unasked) -> Result<(), LinkError> {
        match self.patience.bears(self.size, Instant::now()) {
            true => Ok(()),
            false => Err(LinkError::Flood(unasked)),
        }
    }

    /// This server knows QoS 1 at most, whatever its CONNACK says.
    pub(super) fn lower(&mut self) {
        self.terms.maximum_qos = self.terms.maximum_qos.min(QoS::AtLeastOnce);
        let (acks, upstream) = (&mut self.sender.acks, &self.sender.upstream);
        acks.lowered = true;
        if !std::mem::replace(&mut acks.told_lowered, true) {
            tracing::warn!(
                upstream,
                "the upstream answers QoS 2 with PUBACK: it knows QoS 1 only, and messages are lowered to that"
            );
        }
    }

    /// A PUBACK or PUBREC that is no refusal says that the server takes messages.
    fn witness(&mut self, step: &Step<Message>) {
        match step {
            Step::Receive(Released { number, .. }) => self.sender.isolation.acknowledged(*number),
            Step::Done { number, reason, .. } if !reason.is_failure() => self.sender.isolation.acknowledged(*number),
            _ => {}
        }
    }

    fn step(&mut self, step: Step<Message>) -> Result<(), LinkError> {
        if let Step::Done { number, .. } | Step::Receive(Released { number, .. }) = step {
            self.sender.made_progress(number);
            self.patience.earn();
        }
        match step {
            Step::Nothing => self.bear(Unasked::Ack)?,
            Step::Release(ack) => {
                self.bear(Unasked::Ack)?;
                self.write(Outgoing::PubRel(ack));
            }
            Step::Reset => return Err(LinkError::SessionBroken),
            Step::Receive(released) => {
                self.sender.queue.mark(released.into());
                if fault::is_on(Fault::ReceivedNotDurable) {
                    let packet_id = sender::packet_id(released.number);
                    self.write(Outgoing::PubRel(Ack { packet_id, reason: Reason::SUCCESS }));
                }
            }
            Step::Done { number, reason, .. } if reason.is_failure() => self.sender.refused(number, reason),
            Step::Done { number, .. } => {
                self.sender.refusals.forget(number);
                self.sender.queue.complete(Position::of(number), Fate::Forwarded);
            }
        }
        Ok(())
    }
}
