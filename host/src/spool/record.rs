//! What goes into the spool and what comes out.

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;
use tokio::sync::OwnedSemaphorePermit;

use super::in_flight::Part;
use super::{Change, Receipt};
use crate::base::held_bytes::HeldPart;
use crate::base::name::Name;
use crate::config::{BindingId, Qos0, UpstreamId};
use crate::message::{Message, QoS};
use crate::metrics::{Counter, UpstreamMetrics};
use crate::tap::Trace;

/// The outcome of one input: the unit that is safe or not, as a whole.
#[derive(Debug, Default)]
pub struct Record {
    /// In order; empty when the chain left nothing over.
    pub outputs: Vec<Output>,
    /// What the input changes in the durable state: safe together with the outputs, or not at all.
    pub changes: Vec<Change>,
    pub receipt: Receipt,
    /// The places that the input holds in its lanes, given back when the record is admitted.
    pub hold: Hold,
    /// What it has met, when it waits for its turn: messages of one binding stay in order.
    pub bindings: SmallVec<[BindingId; 1]>,
    /// An operator follows its input.
    pub trace: Option<Trace>,
}

/// Usually one.
pub type Hold = SmallVec<[Place; 1]>;

/// Given back when the last who holds it lets go.
#[derive(Debug)]
pub enum Place {
    Own(OwnedSemaphorePermit),
    /// Its own as well, held by what it causes too.
    Shared(Arc<Hold>),
    /// The places of the message that caused this one: who is held back by them waits for all that it causes.
    Cause(Arc<Hold>),
    /// What it weighs: its lane waits while that is much.
    Weight(HeldPart),
    /// What its client has waiting.
    InFlight(Box<Part>),
}

/// One message for one upstream.
#[derive(Clone, Debug)]
pub struct Output {
    pub upstream: UpstreamId,
    /// Which binding made it, by name: a configuration that has changed meanwhile finds its own. None for what no binding made.
    pub binding: Option<Name>,
    pub message: Message,
    /// When its input arrived at the gateway: message expiry counts from there.
    pub arrived: Instant,
}

/// Where an entry stands in the order of its upstream, so that "after this one" is a question about a number.
///
/// QoS 1 and 2 have a number of their own, contiguous for each upstream and for ever: the packet id follows from it. QoS 0
/// has a sequence behind the number that was the last when it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub number: u64,
    /// 0 for QoS 1 and 2.
    pub sequence: u64,
}

/// A message that waits to be forwarded.
#[derive(Clone, Debug)]
pub struct Entry {
    pub position: Position,
    /// See [`Output::binding`]. None in what is read to be sent: see [`Entry::to_send`].
    pub binding: Option<Name>,
    pub message: Message,
    pub arrived: Instant,
}

/// How an entry ended. Each is one counter (promise P5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Written at QoS 0, acknowledged at QoS 1 and 2.
    Forwarded,
    /// The upstream answered with a failure reason code, and the configuration says to drop it then.
    Refused,
    /// The upstream does not take it, and it is kept as a dead letter.
    Undelivered,
    /// An operator has it left out, and not kept.
    Skipped,
    /// Its message expiry interval, or `max_age`, passed before it could be sent.
    Expired,
    /// No segment has room for it, so that it was refused; or QoS 0, and larger than the upstream's maximum packet size.
    Oversize,
    /// Acknowledged, and larger than the upstream's maximum packet size, or than a segment.
    NeverSendable,
    /// The oldest of its upstream, which had no room for a newer one.
    Dropped,
    /// Damaged in the log.
    Corrupt,
    /// A dead letter that is in its archive.
    Archived,
}

// === impl Record ===

impl Record {
    /// Small state alone.
    pub fn changes(changes: Vec<Change>, receipt: Receipt) -> Self {
        Self { changes, receipt, ..Self::default() }
    }

    /// Whether it ends what was written down before all that becomes of it was safe.
    pub(super) fn ends_unfinished(&self) -> bool {
        self.changes.iter().any(Change::is_end_of_unfinished)
    }

    /// Nobody waits for it: QoS 0 alone.
    pub fn is_unawaited(&self) -> bool {
        self.changes.is_empty() && self.outputs.iter().all(Output::is_qos0)
    }
}

// === impl Place ===

impl Place {
    /// Whether it belongs to this message, and not to what caused it.
    pub fn is_own(&self) -> bool {
        !matches!(self, Self::Cause(_))
    }
}

impl From<OwnedSemaphorePermit> for Place {
    fn from(permit: OwnedSemaphorePermit) -> Self {
        Self::Own(permit)
    }
}

// === impl Output ===

impl Output {
    /// Whether it goes to the log: QoS 1 and 2, and QoS 0 by configuration.
    pub(super) fn is_kept(&self, qos0: Qos0) -> bool {
        qos0 == Qos0::Spool || !self.is_qos0()
    }

    /// Nobody waits for an ack of it.
    pub fn is_qos0(&self) -> bool {
        self.message.qos == QoS::AtMostOnce
    }
}

// === impl Entry ===

impl Entry {
    /// Without its binding, of which only dead letters want to know ([`super::Queue::entry`]): one name has all messages of a binding, and
    /// counting who shares it, from the threads that make them and those that send them, would be the dearest part of a copy.
    pub(super) fn to_send(&self) -> Self {
        let Self { position, message, arrived, .. } = self;
        Self { position: *position, binding: None, message: message.clone(), arrived: *arrived }
    }
}

// === impl Position ===

impl Position {
    /// Before the first entry: numbers begin at 1.
    pub const START: Self = Self { number: 0, sequence: 0 };

    /// Of the QoS 1 or 2 entry with this number.
    pub fn of(number: u64) -> Self {
        Self { number, sequence: 0 }
    }
}

// === impl Fate ===

impl Fate {
    /// Whether nobody has decided so. What was acknowledged must not end in this way.
    pub(super) fn is_loss(self) -> bool {
        match self {
            Self::Corrupt | Self::NeverSendable => true,
            Self::Forwarded | Self::Archived => false,
            Self::Refused | Self::Undelivered | Self::Skipped | Self::Expired | Self::Oversize | Self::Dropped => false,
        }
    }

    /// As it is told to an operator, of an entry that is on the disk or of one that is in memory.
    pub(super) fn told(self, is_kept: bool) -> &'static str {
        match self {
            Self::Forwarded if is_kept => "acknowledged",
            Self::Forwarded => "written",
            Self::Refused => "refused",
            Self::Undelivered => "undelivered",
            Self::Skipped => "skipped",
            Self::Expired => "expired",
            Self::Oversize => "oversize",
            Self::NeverSendable => "never-sendable",
            Self::Dropped => "dropped",
            Self::Corrupt => "corrupt",
            Self::Archived => "archived",
        }
    }

    /// Of what was in the line of an upstream: none for what happens to dead letters alone.
    pub(super) fn counter(self, metrics: &UpstreamMetrics) -> Option<&Counter> {
        Some(match self {
            Self::Forwarded => &metrics.forwarded,
            Self::Refused => &metrics.refused,
            Self::Undelivered => &metrics.undelivered,
            Self::Skipped => &metrics.skipped,
            Self::Expired => &metrics.expired,
            Self::Oversize => &metrics.oversize,
            Self::NeverSendable => &metrics.never_sendable,
            Self::Dropped => &metrics.dropped_full,
            Self::Corrupt => &metrics.corrupt,
            Self::Archived => return None,
        })
    }
}
