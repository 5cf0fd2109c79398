//! What the upstream sends because it is subscribed to, on one connection.

use tokio::time::Instant;

use super::Session;
use crate::base::kill_point::{self, KillPoint};
use crate::egress::link_error::LinkError;
use crate::egress::subscriber::{Event, Refusal, Subscriber};
use crate::egress::unasked::Unasked;
use crate::message::QoS;
use crate::mqtt::client::{self, Outgoing};
use crate::mqtt::{Packet, Publish, Reason, ReasonList};

/// What waits there happens; never, where nothing is subscribed to.
pub(super) async fn event(subscriber: &mut Option<Box<Subscriber>>) -> Event {
    match subscriber {
        Some(subscriber) => subscriber.event().await,
        None => std::future::pending().await,
    }
}

// === impl Session ===

impl Session<'_> {
    /// At the beginning of a connection: what this session does not have.
    pub(super) fn subscribe(&mut self) {
        let sender = &mut *self.sender;
        let Some(subscriber) = &mut sender.subscriber else { return };
        let (newest, within) = (sender.inflight.newest(), sender.ack_timeout);
        for packet in subscriber.ask(newest, within) {
            let written =
                client::encode(self.terms.protocol, packet, self.terms.maximum_packet_size, &mut self.out.bytes);
            if let Err(error) = written {
                tracing::error!(upstream = sender.upstream, "a filter cannot be subscribed to: {error}");
            }
        }
    }

    pub(super) fn happened(&mut self, event: Event) {
        let Some(subscriber) = &mut self.sender.subscriber else { return };
        match event {
            Event::Done(ticket) => {
                let packets = subscriber.acknowledge(ticket);
                packets.iter().for_each(|packet| self.answer(packet));
            }
            Event::Started => {}
            Event::Remembered => subscriber.remembered(),
        }
    }

    fn answer(&mut self, packet: &Packet) {
        match packet {
            Packet::PubComp(_) => kill_point::reach(KillPoint::MessageReleaseSynced),
            _ => kill_point::expect(KillPoint::MessageAcked),
        }
        client::encode_ack(self.terms.protocol, packet, &mut self.out.bytes);
    }

    pub(super) fn take_publish(&mut self, publish: Publish) -> Result<(), LinkError> {
        let Some(subscriber) = &mut self.sender.subscriber else {
            return self.ignore_publish(publish.qos, publish.packet_id);
        };
        kill_point::reach(KillPoint::MessageRead);
        let packets = subscriber.receive(publish).map_err(|refusal| match refusal {
            Refusal::TooMany => LinkError::Overrun,
            Refusal::BeingReleased => {
                LinkError::OutOfTurn("a PUBLISH under an identifier whose PUBREL has no answer yet")
            }
        })?;
        packets.iter().for_each(|packet| self.answer(packet));
        Ok(())
    }

    pub(super) fn take_unusable(&mut self, qos: QoS, packet_id: u16, reason: Reason) -> Result<(), LinkError> {
        self.bear(Unasked::Publish)?;
        let Some(subscriber) = &mut self.sender.subscriber else { return self.ignore_publish(qos, packet_id) };
        let packets = subscriber.unusable(qos, packet_id, reason);
        packets.iter().for_each(|packet| self.answer(packet));
        Ok(())
    }

    /// Left by an earlier user of this client id: acknowledged by the rules, and ignored.
    fn ignore_publish(&mut self, qos: QoS, packet_id: u16) -> Result<(), LinkError> {
        self.bear(Unasked::Publish)?;
        match qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.write(Outgoing::PubAck(packet_id)),
            QoS::ExactlyOnce => self.write(Outgoing::PubRec(packet_id)),
        }
        Ok(())
    }

    pub(super) fn take_pubrel(&mut self, packet_id: u16) -> Result<(), LinkError> {
        let Some(subscriber) = &mut self.sender.subscriber else {
            self.bear(Unasked::Ack)?;
            self.write(Outgoing::PubComp(packet_id));
            return Ok(());
        };
        kill_point::reach(KillPoint::MessageReleaseRead);
        if !subscriber.release(packet_id) {
            self.bear(Unasked::Ack)?;
        }
        Ok(())
    }

    pub(super) fn take_suback(&mut self, list: &ReasonList) -> Result<(), LinkError> {
        let subscriber = self.sender.subscriber.as_mut();
        if subscriber.is_some_and(|subscriber| subscriber.subscribed(list)) {
            kill_point::reach(KillPoint::SubscriptionGranted);
            return Ok(());
        }
        Err(LinkError::OutOfTurn("a SUBACK for which nobody asked"))
    }

    pub(super) fn take_unsuback(&mut self, list: &ReasonList) -> Result<(), LinkError> {
        let subscriber = self.sender.subscriber.as_mut();
        match subscriber.is_some_and(|subscriber| subscriber.unsubscribed(list)) {
            true => Ok(()),
            false => Err(LinkError::OutOfTurn("an UNSUBACK for which nobody asked")),
        }
    }

    /// Without an answer, nothing would ever come, and nobody would know.
    pub(super) fn check_subscriptions(&self, now: Instant) -> Result<(), LinkError> {
        match self.answer_due() {
            Some(due) if now >= due => Err(LinkError::NotSubscribed(self.sender.ack_timeout)),
            _ => Ok(()),
        }
    }

    pub(super) fn answer_due(&self) -> Option<Instant> {
        self.sender.subscriber.as_ref()?.answer_due()
    }
}
