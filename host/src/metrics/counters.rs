//! Every message is counted once, by what it passes: a listener when it comes in, a binding, an upstream. What belongs to no single
//! part is counted here: the bus with its sessions, the archive of dead letters, what the gateway itself publishes.
//!
//! A sum over the gateway is made from the parts when somebody asks ([`Counters::totals`]), and not counted a second time.

use std::sync::Arc;

use super::binding::BindingMetrics;
use super::by_name::ByName;
use super::define::metrics;
use super::listener::ListenerMetrics;
use super::spool::SpoolMetrics;
use super::upstream::UpstreamMetrics;

metrics! {
    /// Counts since the start: of the gateway as a whole, and where those of its parts are.
    Counters, "tidegate" {
        /// Messages that the gateway itself published: republished, dead letters, wills.
        internal: Counter,
        /// Messages between arrival and spool, waiting for a place, in a chain, or in both.
        in_flight: Gauge,
        /// Messages given up between arrival and spool, by a stop or with a connection; never acknowledged, so that their device still
        /// has them.
        unfinished: Counter,
        /// Messages that no binding matches: local only.
        unmatched: Counter,
        /// Dead letters that went through their binding, or to their upstream, again.
        requeued: Counter,
        /// Of the local outputs and dead letters: published.
        republished: Counter,
        /// Messages to be republished, whose expiry interval had passed at the start.
        expired: Counter,
        /// Messages that were promised to nobody, and for which their bindings had no place.
        dropped_full: Counter,
        /// Acknowledged and lost, not counted with an upstream: dead letters, and messages to be republished.
        acknowledged_lost: Counter,
        /// Acknowledged and lost with a damaged part of the spool, of which is not known for which upstream it was.
        corrupt: Counter,
        /// Dead letters that are in the archive.
        dead_letters_archived: Counter,
        /// Dead letters that went for newer ones, for their age, for their size, or with a damaged part of the spool.
        dead_letters_dropped: Counter,
        /// Dead letters that an operator removed.
        dead_letters_purged: Counter,
        /// Dead letters that were lost, or are too large for their archive. Their messages had ended as `dead_lettered`: they count once
        /// more, as lost.
        dead_letters_lost: Counter,
        /// Local deliveries whose expiry interval passed while they waited.
        subscriber_expired: Counter,
        /// Messages that could not be kept as retained for want of room.
        retained_refused: Counter,
        /// Local deliveries that did not fit a subscriber's queue.
        subscriber_dropped: Counter,
        /// Local deliveries that access rules keep from their subscriber.
        subscriber_denied: Counter,
        /// Local deliveries on which their subscriber closes the connection: not sent to it again.
        subscriber_given_up: Counter,
        /// Local deliveries of a shared subscription that went to another member, because the session of the first one ended.
        shared_handed_over: Counter,
        /// The same, with no other member to take them; or sent at QoS 2, so that nobody else may have them.
        shared_dropped: Counter,
        /// Sessions whose device did not come back in time.
        sessions_expired: Counter,
        /// Sessions that were away and owed nothing, ended for a device that needed one.
        sessions_evicted: Counter,
    }
    /// Each with its own, by the name of the listener.
    listeners: ByName<ListenerMetrics>,
    /// By the name of the binding.
    bindings: ByName<BindingMetrics>,
    /// By the name of the upstream; also those that are not in the configuration any more, and have messages waiting.
    upstreams: ByName<UpstreamMetrics>,
    /// Of the log on disk.
    spool: Arc<SpoolMetrics>,
}
