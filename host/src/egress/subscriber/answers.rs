//! Acks in both directions: ours for what is on disk, and what the upstream says of exchanges and subscriptions.

use std::time::Duration;

use super::subscriptions::Answer;
use super::{Remembering, Subscriber};
use crate::egress::mqtt::UpstreamSession;
use crate::message::QoS;
use crate::mqtt::client::Outgoing;
use crate::mqtt::receiver::Packets;
use crate::mqtt::{Ack, Packet, Reason, ReasonList};
use crate::spool::Receipt;

impl Subscriber {
    /// What this ticket stands for is on disk, or no record has room for it.
    pub(super) fn done(&mut self, ticket: u64) -> Packets {
        let is_refused = self.resolved.take_refused(ticket);
        // At 3.1.1, where it cannot be told, the upstream would send it for ever: it is counted as `oversize` and told by the spool.
        let answer = if is_refused { self.in_its_version(Reason::QUOTA_EXCEEDED) } else { Reason::SUCCESS };
        let packets = self.receiver.done(ticket, answer);
        for packet_id in self.receiver.take_releases() {
            self.release(packet_id);
        }
        packets
    }

    /// PUBREL. PUBCOMP leaves when it is on disk that the identifier is free: found again after a crash, it would take a new message for a
    /// repetition. That holds for one that is unknown as well, whose end may be on its way to the disk. Whether it was known.
    pub fn release(&mut self, packet_id: u16) -> bool {
        let is_known = !self.receiver.is_new(QoS::ExactlyOnce, packet_id);
        // Nothing while its message is not on disk: PUBREC leaves first.
        let Some(answer) = self.receiver.release(packet_id) else { return is_known };
        let answer = Ack { reason: self.in_its_version(answer.reason), ..answer };
        let receipt = Receipt::new(self.receiver.hold(Packet::PubComp(answer)), self.resolved.clone());
        self.dispatcher.journal().change(vec![self.exchanges.end(packet_id)], receipt);
        is_known
    }

    /// What is to be asked for on this connection.
    pub fn ask(&mut self, newest: u64, within: Duration) -> impl Iterator<Item = Outgoing<'_>> {
        self.subscriptions.ask(newest, within)
    }

    /// `false` when nobody has asked.
    pub fn subscribed(&mut self, list: &ReasonList) -> bool {
        let answer = self.subscriptions.subscribed(list);
        self.answered(&answer)
    }

    pub fn unsubscribed(&mut self, list: &ReasonList) -> bool {
        let answer = self.subscriptions.unsubscribed(list);
        self.answered(&answer)
    }

    fn answered(&mut self, answer: &Answer) -> bool {
        let upstream = &*self.upstream;
        match answer {
            Answer::Unasked => return false,
            Answer::Subscribed | Answer::Unsubscribed => {}
            Answer::Lowered { filter, qos } => {
                tracing::warn!(upstream, filter, "the upstream sends at most QoS {qos} for this filter");
            }
            Answer::Refused { filter, reason } => {
                self.metrics.subscriptions_refused.increment();
                tracing::error!(
                    upstream,
                    filter,
                    "the upstream refuses this subscription: {reason}; check what its access rules allow this client. It is asked again with \
                     the next connection"
                );
            }
        }
        self.remember();
        true
    }

    /// When the server has answered everything, and we have something else than is remembered.
    fn remember(&mut self) {
        let (Some(granted), Some(session)) = (self.subscriptions.settled(), &self.session) else { return };
        if granted == session.subscribed {
            return;
        }
        let session = UpstreamSession { subscribed: granted.to_vec(), ..session.clone() };
        let (queue, state) = (self.queue.clone(), session.encode());
        let durable = Box::pin(async move { queue.remember(&state, false).await });
        self.remembering = Some(Remembering { session, durable });
    }
}
