//! How many dead letters those may make that nobody was promised anything about.
//!
//! A dead letter costs a hundred times what a small message of QoS 0 costs its device: eleven megabytes of junk made more than a
//! gigabyte of letters, for which all older ones went. So they are a sample: a burst is kept whole, and then some in each second, for
//! each client and for each binding. The others have failed all the same, and are counted.
//!
//! **What is acknowledged always has its letter**: its device is held back by what its letters need, as by anything else.
//!
//! Counted in KiB of what the archive keeps, so that large ones are fewer. For each binding as well, because client identifiers cost
//! nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::route::{Inbound, Routed};
use super::table::Binding;
use crate::base::clock;
use crate::base::name::Name;
use crate::base::rate_limit::RateLimit;
use crate::base::token_bucket::TokenBucket;

/// KiB at once, and how long one more takes. Of a client: a device that begins to fail is seen with all that it says for some minutes.
/// Of a binding: what flows for a day is a part of what the archive keeps by default.
const CLIENT: (u32, Duration) = (256, Duration::from_secs(1));
const BINDING: (u32, Duration) = (4 * 1_024, Duration::from_millis(250));

/// Of them is remembered what they have used up. With more, all begin anew, within the limit of their binding.
const MAX_CLIENTS: usize = 1_024;

#[derive(Debug)]
pub(super) struct LetterLimit {
    used: Mutex<Used>,
    told: RateLimit,
}

#[derive(Debug, Default)]
struct Used {
    clients: HashMap<Arc<str>, TokenBucket>,
    bindings: HashMap<Name, TokenBucket>,
}

// === impl LetterLimit ===

impl LetterLimit {
    pub fn new() -> Self {
        Self { used: Mutex::default(), told: RateLimit::one_in(Duration::from_secs(60)) }
    }

    /// Leaves out a letter that is one too many.
    pub fn apply(&self, binding: &Binding, inbound: &Inbound, routed: &mut Routed) {
        if !routed.is_dead || inbound.is_promised() || self.permits(binding, inbound, clock::now()) {
            return;
        }
        routed.limit_letter();
        if let Some(suppressed) = self.told.permit() {
            let (binding, client) = (&binding.spec.name, &inbound.origin.client);
            tracing::warn!(
                %binding, ?client, suppressed,
                "too many dead letters of messages of QoS 0: some are kept, the others are dropped and counted (`dead_letters_limited`)"
            );
        }
    }

    fn permits(&self, binding: &Binding, inbound: &Inbound, now: Instant) -> bool {
        let kib = u32::try_from(inbound.message.weight() / 1_024 + 1).unwrap_or(u32::MAX);
        self.used.lock().unwrap_or_else(PoisonError::into_inner).take(
            &inbound.origin.client,
            binding.spec.name,
            kib,
            now,
        )
    }
}

// === impl Used ===

impl Used {
    fn take(&mut self, client: &Arc<str>, binding: Name, kib: u32, now: Instant) -> bool {
        if self.clients.len() >= MAX_CLIENTS && !self.clients.contains_key(client) {
            self.clients.retain(|_, bucket| !bucket.is_full(now));
            if self.clients.len() >= MAX_CLIENTS {
                self.clients.clear();
            }
        }
        let (kib, full) = (kib.min(CLIENT.0), |(burst, interval)| TokenBucket::full(burst, interval, now));
        // The client first: a flood of one leaves room to the others of its binding.
        self.clients.entry(client.clone()).or_insert_with(|| full(CLIENT)).take(kib, now)
            && self.bindings.entry(binding).or_insert_with(|| full(BINDING)).take(kib, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(used: &mut Used, clients: impl Iterator<Item = u32>, binding: &str, kib: u32, now: Instant) -> usize {
        let (binding, client) = (Name::of(binding), |client: u32| Arc::from(client.to_string()));
        clients.filter(|number| used.take(&client(*number), binding, kib, now)).count()
    }

    #[test]
    fn a_flood_of_one_client_leaves_the_letters_of_others() {
        let (mut used, now) = (Used::default(), Instant::now());
        assert_eq!(kept(&mut used, (0..100_000).map(|_| 7), "b", 1, now), 256);
        assert_eq!(kept(&mut used, 8..108, "b", 1, now), 100);
        let later = now + Duration::from_secs(60);
        assert_eq!(kept(&mut used, (0..1_000).map(|_| 7), "b", 1, later), 60, "a sample goes on");
    }

    #[test]
    fn many_clients_have_the_limit_of_their_binding_and_cost_no_memory() {
        let (mut used, now) = (Used::default(), Instant::now());
        assert_eq!(kept(&mut used, 0..100_000, "b", 1, now), 4_096);
        assert!(used.clients.len() <= MAX_CLIENTS);
        assert_eq!(kept(&mut used, 0..100, "another", 1, now), 100);
    }

    #[test]
    fn large_letters_are_fewer() {
        let (mut used, now) = (Used::default(), Instant::now());
        assert_eq!(kept(&mut used, (0..100).map(|_| 7), "b", 64, now), 4);
        assert_eq!(kept(&mut used, 8..9, "b", 1 << 20, now), 1, "the largest gets through alone");
    }
}
