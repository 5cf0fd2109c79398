//! Every message is counted once when it comes in and once under what became of it (promise P5).
//!
//! [`Counters::balance`] is the one place that says which numbers are which:
//!
//! ```text
//!  received + internal + requeued + tick_outputs + recovered + dead_letters_lost + fan_out
//!      = forwarded + in_spool + in_flight                                  it is somewhere
//!      + unmatched + local_outputs                                         it was for this gateway alone
//!      + filtered + dead_lettered + failed_dropped + acl_denied + expired  it was not to go on, and somebody decided so
//!      + upstream_refused + undelivered + skipped + dropped_full           an upstream, an operator or the configuration decided so
//!      + oversize + unfinished                                             it was not acknowledged
//!      + acknowledged_lost                                                 nobody decided so: 0, for ever
//! ```
//!
//! `acknowledged_lost` is raised wherever something that was acknowledged goes without anybody's decision. Other counters say how it
//! went (`corrupt`, `never_sendable`); they are parts of it and not terms of the equation.
//!
//! One message may become several: each binding beyond the first and each output beyond the first is one of `fan_out`. What goes
//! to a local topic ends here, and comes in again as `internal`, as do dead letters and wills. The letter that the archive keeps
//! of a failure is none of these messages: its message has ended as `dead_lettered`, and comes in again when it is `requeued`.

use std::fmt;

use std::sync::atomic::{AtomicU64, Ordering};

/// One number, counted from many threads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counts since the start.
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
    /// Messages that the gateway itself published: republished, dead letters, wills.
    internal,
    /// What one message became beyond itself: a second binding, a second output, a second destination.
    fan_out,
    /// A gauge: between arrival and spool, waiting for a place, in a chain, or in both.
    in_flight,
    /// Given up between arrival and spool, by a stop or with a connection; never acknowledged, so that its device still has it.
    unfinished,
    /// Messages received that no binding matches: local only.
    unmatched,
    /// Inputs to chains: one for each message and binding that match.
    chain_inputs,
    /// Inputs that came out of their chain as one message or more.
    chain_forwarded,
    /// Messages that chains put out, before destinations.
    chain_outputs,
    /// Inputs that a plugin dropped.
    filtered,
    /// Inputs that a plugin failed, whatever `on_error` then did.
    failed,
    /// Of the failed: kept as dead letters, and published to the dead-letter topic where one can be made.
    dead_lettered,
    /// Dead letters that are in the archive.
    dead_letters_archived,
    /// Dead letters that went for newer ones, for their age, for their size, or with a damaged part of the spool.
    dead_letters_dropped,
    /// Dead letters that an operator removed.
    dead_letters_purged,
    /// Dead letters that went through their binding again.
    requeued,
    /// Of the failed: dropped by `on_error = "drop"`.
    failed_dropped,
    /// Of the failed: went on without the plugin that failed, by `on_error = "pass"`.
    failed_passed,
    /// Turns of the clock in a binding.
    ticks,
    /// Messages that plugins made in one.
    tick_outputs,
    /// Plugins that failed in one.
    ticks_failed,
    /// Turns left out because the one before had not finished.
    ticks_skipped,
    /// Messages committed for an upstream.
    committed,
    /// Messages that an earlier process had committed, found in the spool at the start.
    recovered,
    /// Acknowledged, and gone without anybody's decision: no policy, no plugin, no upstream, no operator. 0, for ever.
    acknowledged_lost,
    /// Of the lost: with a damaged part of the spool, whose bytes are in `quarantine`.
    corrupt,
    /// Of the lost: larger than a segment of a spool that was made smaller, or as a dead letter than one of its archive.
    never_sendable,
    /// Dead letters that were lost in that way, or are too large for their archive. Their messages had ended as `dead_lettered`: they count once more, as lost.
    dead_letters_lost,
    /// Messages that an upstream has: written at QoS 0, acknowledged at QoS 1 and 2.
    forwarded,
    /// The upstream answered with a failure reason code, and `refused = "drop"`.
    upstream_refused,
    /// Messages that an upstream does not take: refused, or it closes on them. They are kept as dead letters.
    undelivered,
    /// Messages for an upstream that an operator has left out and not kept.
    skipped,
    /// QoS 2, sent again after a lost session: the upstream may have had them already. (QoS 1 promises no more than at least once.)
    possible_duplicates,
    /// Outputs for local topics.
    local_outputs,
    /// Of the local outputs and dead letters: published.
    republished,
    /// Outputs for local topics beyond the hop limit: their inputs have failed.
    hop_limit_exceeded,
    /// Outputs whose topic could not be made by the destination's template: their inputs have failed.
    unroutable,
    /// Older than its message expiry interval, or than `max_age` of the spool.
    expired,
    /// The oldest, for want of room: QoS 0 in memory, or anything when `when_full` says so.
    dropped_full,
    /// No segment of the spool has room for what it causes, so that it was refused; or QoS 0, and larger than any packet that the
    /// upstream takes.
    oversize,
    /// Published to a topic that its device may not write.
    acl_denied,
    /// Local deliveries whose expiry interval passed while they waited.
    subscriber_expired,
    /// Messages that could not be kept as retained for want of room.
    retained_refused,
    /// Local deliveries that did not fit a subscriber's queue.
    subscriber_dropped,
    /// Local deliveries on which their subscriber closes the connection: not sent to it again.
    subscriber_given_up,
    /// Local deliveries of a shared subscription that went to another member, because the session of the first one ended.
    shared_handed_over,
    /// The same, with no other member to take them; or sent at QoS 2, so that nobody else may have them.
    shared_dropped,
    /// Sessions that were away and owed nothing, ended for a device that needed one.
    sessions_evicted,
    /// Refused or ended by a cap or a protocol error.
    connections_refused,
}

/// Both sides of the equation at one moment, by name.
#[derive(Debug)]
pub struct Balance {
    pub came_in: Vec<(&'static str, u64)>,
    pub accounted: Vec<(&'static str, u64)>,
}

macro_rules! terms {
    ($counters:expr; $($name:ident)*) => { vec![$((stringify!($name), $counters.$name.get())),*] };
}

// === impl Counters ===

impl Counters {
    /// The equation of promise P5. Exact when nothing moves; between two counts of one message it is off by that message.
    pub fn balance(&self, in_spool: usize) -> Balance {
        let mut accounted = terms![self; forwarded in_flight unmatched local_outputs filtered dead_lettered failed_dropped acl_denied
            expired upstream_refused undelivered skipped dropped_full oversize acknowledged_lost unfinished];
        accounted.push(("in_spool", in_spool as u64));
        let came_in = terms![self; received internal requeued tick_outputs recovered dead_letters_lost fan_out];
        Balance { came_in, accounted }
    }
}

// === impl Balance ===

impl Balance {
    /// What came in and is under no name; negative when something was counted twice.
    pub fn missing(&self) -> i128 {
        let sum = |terms: &[(&str, u64)]| terms.iter().map(|(_, count)| i128::from(*count)).sum::<i128>();
        sum(&self.came_in) - sum(&self.accounted)
    }
}

/// One word for a log line, and with a mistake of ours its size.
impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.missing() {
            0 => f.write_str("balanced"),
            missing => write!(f, "unbalanced:{missing}"),
        }
    }
}

// === impl Counter ===

impl Counter {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn increment(&self) {
        self.add(1);
    }

    /// For a gauge.
    pub fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_nobody_counted_is_missed() {
        let counters = Counters::default();
        counters.received.add(3);
        counters.fan_out.increment();
        counters.forwarded.add(2);
        counters.filtered.increment();
        assert_eq!(counters.balance(1).to_string(), "balanced");
        assert_eq!((counters.balance(0).missing(), counters.balance(2).to_string()), (1, "unbalanced:-1".into()));
    }
}
