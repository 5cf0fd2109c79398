//! Every message is counted once when it comes in and once under what became of it (promise P5).

use std::sync::atomic::{AtomicU64, Ordering};

/// One number, counted from many threads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Monotonic counts since the start. `received = forwarded + waiting + sum(reasons)`, allowing for one-to-many.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[$doc])* pub $name: Counter),* }

        impl Counters {
            /// Name and value of each counter, in a fixed order.
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.get())),*]
            }
        }
    };
}

counters! {
    /// PUBLISH packets of devices, first deliveries only.
    received,
    /// Messages received that no binding matches: local only.
    unbound,
    /// Inputs to chains: one for each message and binding that match.
    chain_in,
    /// Inputs that came out of their chain as one message or more.
    chained,
    /// Messages that chains put out, before destinations.
    chain_out,
    /// Inputs that a plugin dropped.
    filtered,
    /// Inputs that a plugin failed, whatever `on_error` then did.
    failed,
    /// Of the failed: published to the dead-letter topic.
    dead_lettered,
    /// Dead letters that are in the archive.
    letters_archived,
    /// Dead letters that went for newer ones, for their age, or for their size.
    letters_dropped,
    /// Dead letters that an operator removed.
    letters_purged,
    /// Dead letters that went through their binding again.
    requeued,
    /// Of the failed: dropped by `on_error = "drop"`.
    failed_dropped,
    /// Of the failed: passed on unchanged by `on_error = "pass"`.
    failed_passed,
    /// Turns of the clock in a binding.
    ticks,
    /// Plugins that failed in one.
    ticks_failed,
    /// Turns left out because the one before had not finished.
    ticks_skipped,
    /// Messages committed for an upstream.
    committed,
    /// Messages that an earlier process had committed, found in the spool at the start.
    recovered,
    /// Messages lost with a damaged part of the spool, whose bytes are in `quarantine`.
    corrupt,
    /// Messages that an upstream has: written at QoS 0, acknowledged at QoS 1 and 2.
    forwarded,
    /// The upstream answered with a failure reason code: by the specification not sent again.
    upstream_refused,
    /// Sent again after a lost session: the upstream may have had them already.
    possible_duplicates,
    /// Messages for local republishing.
    republished,
    /// Stopped by the hop limit.
    looped,
    /// Outputs whose topic could not be made by the destination's template.
    unroutable,
    expired,
    dropped_full,
    oversize,
    acl_denied,
    /// Local deliveries whose expiry interval passed while they waited.
    subscriber_expired,
    /// Messages that could not be kept as retained for want of room.
    retained_refused,
    /// Local deliveries that did not fit a subscriber's queue.
    subscriber_dropped,
    /// Refused or ended by a cap or a protocol error.
    connections_refused,
}

impl Counter {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn increment(&self) {
        self.add(1);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
