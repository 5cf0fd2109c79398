//! Of one upstream: counted by its line in the spool and by its sender.

use super::define::metrics;

metrics! {
    /// What became of the messages for one upstream.
    UpstreamMetrics, "tidegate_upstream" {
        /// Messages committed for it.
        committed: Counter,
        /// Messages that an earlier process had committed for it, found in the spool at the start.
        recovered: Counter,
        /// Messages that it has: written at QoS 0, acknowledged at QoS 1 and 2.
        forwarded: Counter,
        /// Messages that it answered with a failure reason code, dropped because of `refused = "drop"`.
        refused: Counter,
        /// Messages that it does not take: refused, or it closes on them. They are kept as dead letters.
        undelivered: Counter,
        /// Messages that an operator has left out and not kept.
        skipped: Counter,
        /// Messages older than their expiry interval, or than `max_age` of the spool.
        expired: Counter,
        /// Messages that went for want of room, the oldest: QoS 0 in memory, or anything when `when_full` says so.
        dropped_full: Counter,
        /// Messages that no segment of the spool has room for, so that they were refused; or QoS 0, and larger than any packet that it
        /// takes.
        oversize: Counter,
        /// Acknowledged messages that were lost: larger than a segment of a spool that was made smaller.
        never_sendable: Counter,
        /// Acknowledged messages that were lost with a damaged part of the spool, whose bytes are in `quarantine`.
        corrupt: Counter,
        /// Messages that it sent us, first deliveries only.
        received: Counter,
        /// PUBLISH packets of it that were not taken: malformed, larger than we take, or to a topic with too many levels.
        received_invalid: Counter,
        /// Sessions in which it was subscribed to, and which it had not kept: what it had for us there is lost.
        subscriptions_lost: Counter,
        /// Filters that it refused to subscribe us to.
        subscriptions_refused: Counter,
        /// Messages of QoS 2, sent again after a lost session: it may have had them already.
        possible_duplicates: Counter,
    }
}

// === impl UpstreamMetrics ===

impl UpstreamMetrics {
    /// Acknowledged, and gone without anybody's decision.
    pub fn acknowledged_lost(&self) -> u64 {
        self.never_sendable.get() + self.corrupt.get()
    }
}
