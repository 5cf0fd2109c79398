//! The places where a test kills the process, by name: each is a moment at which a crash once cost somebody else's users a message.
//!
//! Only with the feature `failpoints`; without it every call is empty and gone. `FAILPOINTS` says where to die, in the language of
//! the `fail` crate: `spool.synced=40*off->return` dies at the 41st hit. Death is `abort`, which like SIGKILL runs nothing more:
//! no destructor, no flush. What the kernel has of us it keeps, so power cuts need another test.
//!
//! A name has one call. [`reach`] dies on the spot, [`reach_after`] does half of something first. Bytes for a socket are sent by
//! another turn of the loop than makes them, so that these two steps have a call each: [`expect`], then [`happened`].

/// Declares the points and their names.
macro_rules! kill_points {
    ($($(#[$doc:meta])* $point:ident = $name:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum KillPoint { $($(#[$doc])* $point),* }

        #[cfg(feature = "failpoints")]
        impl KillPoint {
            /// All of them. The kill matrix of the tests takes its rows from here.
            const ALL: &[Self] = &[$(Self::$point),*];

            fn name(self) -> &'static str {
                match self { $(Self::$point => $name),* }
            }
        }
    };
}

kill_points! {
    /// Bytes of a device are in our buffer.
    SocketRead = "ingress.read",
    /// A plugin has seen the message, its outcome is nowhere.
    InPlugin = "chain.plugin",
    /// The group is encoded and not written.
    BeforeAppend = "spool.before_append",
    /// Half of the group is written.
    MidAppend = "spool.mid_append",
    /// Written, not synced.
    Appended = "spool.appended",
    /// Synced, nobody knows.
    Synced = "spool.synced",
    /// PUBACK or PUBREC has left.
    Acked = "ingress.acked",
    /// That a will is due is being written, and it is published by nobody yet.
    WillDue = "ingress.will_due",
    /// PUBREL of a device has come.
    ReleaseRead = "ingress.pubrel",
    /// What PUBREL releases is durable, PUBCOMP has not left.
    ReleaseSynced = "ingress.pubcomp",
    /// Read from the spool, to be sent.
    Picked = "egress.picked",
    /// PUBLISH has left for the upstream.
    Published = "egress.published",
    /// PUBACK or PUBREC of the upstream has come.
    UpstreamAck = "egress.acked",
    /// "Received" is durable, PUBREL has not left.
    ReceivedSynced = "egress.received_synced",
    /// PUBREL has left for the upstream.
    Released = "egress.pubrel",
    /// PUBCOMP of the upstream has come, "done" is not durable.
    Completed = "egress.pubcomp",
    /// PINGRESP has come, which says that what went at QoS 0 has arrived; "done" is not durable.
    Proven = "egress.proven",
    /// A message that the upstream refused is a durable dead letter, and still in the spool.
    LetterFiled = "egress.letter_filed",
    /// SUBACK of the upstream has come, and that it has is not durable.
    SubscriptionGranted = "egress.subscription_granted",
    /// A message of the upstream has come, nothing of it is durable.
    MessageRead = "egress.message_read",
    /// PUBACK or PUBREC has left for the upstream.
    MessageAcked = "egress.message_acked",
    /// PUBREL of the upstream has come.
    MessageReleaseRead = "egress.message_pubrel",
    /// What that PUBREL releases is durable, PUBCOMP has not left.
    MessageReleaseSynced = "egress.message_pubcomp",
    /// Letters of a segment that is to go are written once more, not synced.
    LettersCarried = "archive.carried",
    /// A new segment has its name, which is not durable.
    SegmentNamed = "spool.segment_named",
    /// "Done" is durable for a whole segment, which is still there.
    SegmentDone = "spool.segment_done",
    /// It is unlinked, which is not durable.
    SegmentUnlinked = "spool.segment_unlinked",
    /// A part of a checkpoint is written, to a file without a name.
    CheckpointBegun = "spool.checkpoint_begun",
    /// All of it is synced, and has no name.
    CheckpointSynced = "spool.checkpoint_synced",
    /// It has its name, which is not durable.
    CheckpointNamed = "spool.checkpoint_named",
    /// It holds, and nothing has been removed for it.
    CheckpointDurable = "spool.checkpoint_durable",
    /// The one before is gone, the segments below are still there.
    CheckpointRetired = "spool.checkpoint_retired",
    /// A reload is ready, and nothing is changed.
    ReloadPrepared = "reload.prepared",
    /// New access rules hold, the listeners are those from before.
    ReloadRules = "reload.rules",
    /// Messages meet other bindings, and their lanes have the plugins from before.
    ReloadTable = "reload.table",
    /// All of a reload is done, and nobody has been told.
    Reloaded = "reload.done",
    /// Recovery is about to read a segment.
    Recovering = "spool.recovering",
    /// Recovery has read everything, nothing is written yet.
    Recovered = "spool.recovered",
}

#[cfg(not(feature = "failpoints"))]
mod absent {
    use super::KillPoint;

    #[inline(always)]
    pub(crate) fn arm() {}

    #[inline(always)]
    pub(crate) fn reach(_: KillPoint) {}

    #[inline(always)]
    pub(crate) fn reach_after(_: KillPoint, _: impl FnOnce()) {}

    #[inline(always)]
    pub(crate) fn expect(_: KillPoint) {}

    #[inline(always)]
    pub(crate) fn happened(_: KillPoint) {}

    #[inline(always)]
    pub(crate) fn sync_is_a_lie() -> bool {
        false
    }
}

#[cfg(feature = "failpoints")]
mod present {
    use std::process::abort;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::KillPoint;

    /// A disk that says "synced" and has done nothing: the power-cut test must notice.
    const SYNC_IS_A_LIE: &str = "disk.sync_is_a_lie";

    /// One bit for each point that [`expect`] was told to die at.
    static EXPECTED: AtomicU64 = AtomicU64::new(0);

    /// Reads `FAILPOINTS`. Says so, because nobody should run such a build by mistake.
    pub(crate) fn arm() {
        // For the life of the process: the guard would disarm.
        std::mem::forget(fail::FailScenario::setup());
        let names: Vec<_> = KillPoint::ALL.iter().map(|point| point.name()).collect();
        tracing::warn!("built with `failpoints`, for tests only; kill points {}", names.join(" "));
    }

    pub(crate) fn reach(point: KillPoint) {
        reach_after(point, || ());
    }

    pub(crate) fn reach_after(point: KillPoint, half: impl FnOnce()) {
        fail::fail_point!(point.name(), |_| {
            half();
            abort()
        });
    }

    /// Something is on its way; it dies when that has [`happened`].
    pub(crate) fn expect(point: KillPoint) {
        fail::fail_point!(point.name(), |_| {
            EXPECTED.fetch_or(1 << point as u64, Ordering::Relaxed);
        });
    }

    pub(crate) fn happened(point: KillPoint) {
        if EXPECTED.load(Ordering::Relaxed) & (1 << point as u64) != 0 {
            abort();
        }
    }

    pub(crate) fn sync_is_a_lie() -> bool {
        fail::fail_point!(SYNC_IS_A_LIE, |_| true);
        false
    }
}

#[cfg(not(feature = "failpoints"))]
pub(crate) use absent::*;
#[cfg(feature = "failpoints")]
pub(crate) use present::*;
