//! Faults that this gateway once had, or could have: each can be put back for a test that has to find it. A simulator that finds
//! nothing would prove nothing otherwise.
//!
//! The place of the mend asks [`is_on`]. Outside of unit tests the answer is a constant, and the product pays nothing.

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault { $($(#[$doc])* $name),* }

        #[cfg(test)]
        impl Fault {
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

faults! {
    /// What the gateway publishes itself goes when there is no place for it, and its ack is sent.
    InternalDropped,
    /// A record that is larger than a segment is acknowledged.
    OversizeAcked,
    /// PUBACK or PUBREC with a failure ends the message.
    RefusedGone,
    /// The messages of a member of a `$share` group end with its session.
    GroupEndsWithMember,
    /// Without a topic to publish it to there is no dead letter.
    LetterNeedsTopic,
    /// An ack is waited for without end.
    NoAckTimeout,
    /// PUBACK for QoS 2 and PUBREC for QoS 1 are no acks.
    WrongAcksIgnored,
    /// A message on which the upstream closes is sent first, for ever.
    NoIsolation,
    /// What is sent again is not fitted to the terms of this connection.
    ResendsNotFitted,
    /// An address that acknowledges nothing is as good as another one.
    StaysWithoutProgress,
    /// Server Keep Alive 0 ends our own keep-alive.
    ServerKeepAliveObeyed,
    /// Any Maximum Packet Size is taken, and what is larger is dropped.
    AnyPacketSizeTaken,
    /// A log beyond its limit cannot write what is done.
    LoweredLimitHolds,
    /// A device of 3.1.1 may have any number of QoS 2 exchanges.
    IdentitiesUnbounded,
    /// A committer whose records wait for a share looks again at once.
    CommitterSpins,
    /// PUBREL is sent before it is durable that the upstream has the message.
    ReceivedNotDurable,
    /// The log is not synced.
    SyncOmitted,
    /// Receipts are resolved before the write.
    AckBeforeWrite,
    /// A message on which a subscriber closes is sent first, for ever.
    NoSubscriberIsolation,
    /// Deadlines are written by the wall clock.
    DeadlinesByWallClock,
    /// That a topic retains nothing any more is not written.
    ClearsNotWritten,
    /// The will of a connected device is in memory alone.
    WillsNotWritten,
}

/// Whether this thread has it.
#[cfg(not(test))]
#[inline(always)]
pub const fn is_on(_: Fault) -> bool {
    false
}

#[cfg(test)]
pub use switch::{is_on, put_back};

#[cfg(test)]
mod switch {
    use std::cell::Cell;

    use super::Fault;

    thread_local! {
        static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    pub fn is_on(fault: Fault) -> bool {
        FAULT.get() == Some(fault)
    }

    /// On this thread, until it is called again.
    pub fn put_back(fault: Option<Fault>) {
        FAULT.set(fault);
    }
}
