//! What outlives a connection: the exchanges with the server, and what its acks have told.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::too_large::Elsewhere;
use crate::base::excerpt::Excerpt;
use crate::base::rate_limit::RateLimit;
use crate::egress::isolation::Isolation;
use crate::egress::link_error::LinkError;
use crate::egress::operator::Skip;
use crate::egress::refusals::Refusals;
use crate::egress::subscriber::Subscriber;
use crate::egress::undelivered::Filing;
use crate::message::Message;
use crate::metrics::UpstreamMetrics;
use crate::mqtt::Ack;
use crate::mqtt::sender::{self, AckKind, Awaited};
use crate::spool::Queue;
use crate::topic::TopicName;

/// The exchanges with the server. Their numbers are those of the spool.
pub type Inflight = sender::Sender<Message>;

/// What outlives a connection.
pub struct Sender {
    pub upstream: String,
    pub ack_timeout: Duration,
    pub queue: Arc<Queue>,
    pub inflight: Inflight,
    pub metrics: Arc<UpstreamMetrics>,
    pub refusals: Refusals,
    pub filing: Filing,
    pub refused: RateLimit,
    pub oversize: RateLimit,
    pub acks: Acks,
    pub isolation: Isolation,
    pub skips: mpsc::Receiver<Skip>,
    pub elsewhere: Elsewhere,
    /// Where something is subscribed to.
    pub subscriber: Option<Box<Subscriber>>,
}

/// What the server's acks have told so far.
#[derive(Default)]
pub struct Acks {
    /// One came on this connection that was waited for.
    pub progress: bool,
    /// None came on the connection before this one, although they were due.
    pub stalled: bool,
    /// It answered QoS 2 with PUBACK in this session: it knows QoS 1 at most.
    pub(super) lowered: bool,
    pub(super) told_lowered: bool,
    pub(super) told_raised: bool,
}

// === impl Sender ===

impl Sender {
    /// What the spool has made durable. Returns the PUBRELs that may now go.
    pub(super) fn hear_spool(&mut self) -> Vec<Ack> {
        let confirmed = self.queue.take_confirmed();
        self.inflight.confirm(confirmed.done.numbers(), confirmed.marked)
    }

    /// For the log: a device may have chosen 64 KiB.
    pub(super) fn shown(topic: &Option<TopicName>) -> Option<Excerpt<'_>> {
        topic.as_ref().map(|topic| Excerpt(topic.as_str()))
    }

    /// Of a message that is in flight, when it is still known.
    pub(super) fn topic(&self, number: u64) -> Option<TopicName> {
        match self.inflight.message(number) {
            Some(message) => Some(message.topic.clone()),
            None => self.queue.entry(number).map(|entry| entry.message.topic),
        }
    }

    pub(super) fn not_acknowledged(&self, Awaited { number, packet_id: id, ack }: Awaited) -> LinkError {
        let ack = match ack {
            AckKind::OfPublish => "PUBACK or PUBREC",
            AckKind::PubComp => "PUBCOMP",
            AckKind::PingResp => return LinkError::NotProven { topic: self.topic(number), after: self.ack_timeout },
        };
        let topic = self.topic(number);
        LinkError::NotAcknowledged { ack, id, topic, after: self.ack_timeout }
    }
}
