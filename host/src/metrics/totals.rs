//! Sums over the gateway, and the equation that says whether every message was counted (promise P5).
//!
//! [`Totals::balance`] is the one place that says which numbers are which:
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

use super::{Counters, UpstreamMetrics};

macro_rules! totals {
    ($counters:ident; $($name:ident = $sum:expr,)+) => {
        /// Sums over all parts at one moment. What a number means stands at the part that counts it.
        #[derive(Clone, Debug, Default)]
        pub struct Totals { $(pub $name: u64),+ }

        impl Totals {
            pub fn of($counters: &Counters) -> Self {
                Self { $($name: $sum),+ }
            }

            /// Name and value of each, in a fixed order.
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),+]
            }
        }
    };
}

totals! { counters;
    received = counters.listeners.sum(|of| of.received.get()) + counters.upstreams.sum(|of| of.received.get()),
    internal = counters.internal.get(),
    fan_out = counters.bindings.sum(|of| of.fan_out.get()),
    in_flight = counters.in_flight.get(),
    unfinished = counters.unfinished.get(),
    unmatched = counters.unmatched.get(),
    chain_inputs = counters.bindings.sum(|of| of.inputs.get()),
    chain_forwarded = counters.bindings.sum(|of| of.forwarded.get()),
    chain_outputs = counters.bindings.sum(|of| of.outputs.get()),
    filtered = counters.bindings.sum(|of| of.filtered.get()),
    failed = counters.bindings.sum(|of| of.failed.get()),
    dead_lettered = counters.bindings.sum(|of| of.dead_lettered.get()),
    dead_letters_archived = counters.dead_letters_archived.get(),
    dead_letters_dropped = counters.dead_letters_dropped.get(),
    dead_letters_purged = counters.dead_letters_purged.get(),
    requeued = counters.requeued.get(),
    failed_dropped = counters.bindings.sum(|of| of.failed_dropped.get()),
    dead_letters_limited = counters.bindings.sum(|of| of.dead_letters_limited.get()),
    failed_passed = counters.bindings.sum(|of| of.failed_passed.get()),
    ticks = counters.bindings.sum(|of| of.ticks.get()),
    tick_outputs = counters.bindings.sum(|of| of.tick_outputs.get()),
    ticks_failed = counters.bindings.sum(|of| of.ticks_failed.get()),
    ticks_skipped = counters.bindings.sum(|of| of.ticks_skipped.get()),
    committed = counters.upstreams.sum(|of| of.committed.get()),
    recovered = counters.corrupt.get() + counters.upstreams.sum(|of| of.recovered.get()),
    acknowledged_lost = counters.acknowledged_lost.get() + counters.corrupt.get() + counters.upstreams.sum(UpstreamMetrics::acknowledged_lost),
    corrupt = counters.corrupt.get() + counters.upstreams.sum(|of| of.corrupt.get()),
    never_sendable = counters.upstreams.sum(|of| of.never_sendable.get()),
    dead_letters_lost = counters.dead_letters_lost.get(),
    forwarded = counters.upstreams.sum(|of| of.forwarded.get()),
    upstream_refused = counters.upstreams.sum(|of| of.refused.get()),
    undelivered = counters.upstreams.sum(|of| of.undelivered.get()),
    skipped = counters.upstreams.sum(|of| of.skipped.get()),
    possible_duplicates = counters.upstreams.sum(|of| of.possible_duplicates.get()),
    local_outputs = counters.bindings.sum(|of| of.local_outputs.get()),
    republished = counters.republished.get(),
    hop_limit_exceeded = counters.bindings.sum(|of| of.hop_limit_exceeded.get()),
    unroutable = counters.bindings.sum(|of| of.unroutable.get()),
    expired = counters.expired.get() + counters.upstreams.sum(|of| of.expired.get()),
    dropped_full = counters.dropped_full.get() + counters.upstreams.sum(|of| of.dropped_full.get()),
    oversize = counters.upstreams.sum(|of| of.oversize.get()),
    acl_denied = counters.listeners.sum(|of| of.acl_denied.get()),
    subscriber_expired = counters.subscriber_expired.get(),
    retained_refused = counters.retained_refused.get(),
    subscriber_dropped = counters.subscriber_dropped.get(),
    subscriber_denied = counters.subscriber_denied.get(),
    subscriber_given_up = counters.subscriber_given_up.get(),
    shared_handed_over = counters.shared_handed_over.get(),
    shared_dropped = counters.shared_dropped.get(),
    sessions_evicted = counters.sessions_evicted.get(),
    received_invalid = counters.upstreams.sum(|of| of.received_invalid.get()),
    subscriptions_lost = counters.upstreams.sum(|of| of.subscriptions_lost.get()),
    subscriptions_refused = counters.upstreams.sum(|of| of.subscriptions_refused.get()),
    connections_refused = counters.listeners.sum(|of| of.connections_refused.get()),
    logins_refused = counters.listeners.sum(|of| of.logins_refused.get()),
}

/// Both sides of the equation at one moment, by name.
#[derive(Debug)]
pub struct Balance {
    pub came_in: Vec<(&'static str, u64)>,
    pub accounted: Vec<(&'static str, u64)>,
}

macro_rules! terms {
    ($totals:expr; $($name:ident)*) => { vec![$((stringify!($name), $totals.$name)),*] };
}

// === impl Counters ===

impl Counters {
    pub fn totals(&self) -> Totals {
        Totals::of(self)
    }

    pub fn balance(&self, in_spool: usize) -> Balance {
        self.totals().balance(in_spool)
    }
}

// === impl Totals ===

impl Totals {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_on_watching_says_what_each_of_them_means() {
        let page = include_str!("../../../docs/watch.md");
        let named = Totals::of(&Counters::default()).named();
        let unexplained: Vec<_> = named
            .iter()
            .filter(|(name, _)| !page.contains(&format!("\n| `{name}` | ")))
            .map(|(name, _)| name)
            .collect();
        assert!(unexplained.is_empty(), "not in docs/watch.md: {unexplained:?}");
    }

    #[test]
    fn a_message_that_nobody_counted_is_missed() {
        let counters = Counters::default();
        counters.listeners.of("lan").received.add(3);
        let binding = counters.bindings.of("all");
        binding.fan_out.increment();
        counters.upstreams.of("cloud").forwarded.add(2);
        binding.filtered.increment();
        assert_eq!(counters.balance(1).to_string(), "balanced");
        assert_eq!((counters.balance(0).missing(), counters.balance(2).to_string()), (1, "unbalanced:-1".into()));
    }

    #[test]
    fn a_sum_is_that_of_all_parts_of_a_kind() {
        let counters = Counters::default();
        counters.upstreams.of("cloud").forwarded.add(2);
        counters.upstreams.of("edge").forwarded.increment();
        counters.upstreams.of("cloud").forwarded.add(4);
        assert_eq!(counters.totals().forwarded, 7);
        counters.upstreams.of("edge").corrupt.increment();
        counters.corrupt.increment();
        counters.acknowledged_lost.increment();
        let totals = counters.totals();
        assert_eq!((totals.corrupt, totals.acknowledged_lost, totals.recovered), (2, 3, 1));
    }
}
