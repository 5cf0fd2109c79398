//! From the socket into the exchanges: acks, and what else a server may say.

use tokio::time::Instant;

use super::Session;
use crate::control::cork::cork;
use crate::control::kill_point::{self, KillPoint};
use crate::egress::inflight::Step;
use crate::egress::link_error::LinkError;
use crate::message::QoS;
use crate::mqtt::client::{self, Incoming, Outgoing};
use crate::spool::{Fate, Position};

impl Session<'_> {
    /// Every whole packet that has arrived.
    pub(super) fn receive(&mut self) -> Result<(), LinkError> {
        let _turn = cork();
        while let Some(packet) = client::decode(self.terms.protocol, &mut self.input)? {
            if let Incoming::PubAck(_) | Incoming::PubRec(_) = packet {
                kill_point::reach(KillPoint::UpstreamAck);
            }
            match packet {
                Incoming::PubAck(ack) => {
                    let step = self.sender.inflight.on_puback(ack);
                    self.step(step)?;
                }
                Incoming::PubRec(ack) => {
                    let step = self.sender.inflight.on_pubrec(ack);
                    self.step(step)?;
                }
                Incoming::PubComp(ack) => {
                    let step = self.sender.inflight.on_pubcomp(ack);
                    self.step(step)?;
                    kill_point::reach(KillPoint::Completed);
                }
                // Left by an earlier user of this client id: acknowledged by the rules, and ignored.
                Incoming::Publish { qos: QoS::AtMostOnce, .. } | Incoming::PingResp => {}
                Incoming::Publish { qos: QoS::AtLeastOnce, packet_id } => self.write(Outgoing::PubAck(packet_id)),
                Incoming::Publish { qos: QoS::ExactlyOnce, packet_id } => self.write(Outgoing::PubRec(packet_id)),
                Incoming::PubRel(id) => self.write(Outgoing::PubComp(id)),
                Incoming::Disconnect { reason, text } => return Err(LinkError::Disconnected { reason, text }),
                Incoming::ConnAck(_) => return Err(LinkError::OutOfTurn("a second CONNACK")),
            }
        }
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), LinkError> {
        match step {
            Step::Nothing => {}
            Step::Release(ack) => self.write(Outgoing::PubRel(ack)),
            Step::Reset => return Err(LinkError::SessionBroken),
            Step::Receive { number, turn } => self.sender.queue.release(number, turn),
            Step::Done { number, reason, .. } if !reason.is_failure() => {
                self.sender.queue.complete(Position::of(number), Fate::Forwarded);
            }
            Step::Done { number, message, reason } => {
                self.sender.queue.complete(Position::of(number), Fate::Refused);
                if let Some(silent) = self.sender.refused.pass(Instant::now()) {
                    let (upstream, topic) = (&self.sender.upstream, message.map(|message| message.topic));
                    tracing::warn!(upstream, ?topic, silent, "the upstream refused a message: {reason}");
                }
            }
        }
        Ok(())
    }
}
