//! How often a password may be guessed.
//!
//! Only what was wrong counts: a thousand devices with the right password are no guess. Three counts, each a token bucket of failures:
//!
//! | of | against | who is not held back by it |
//! |---|---|---|
//! | a user at an address | guessing one password | |
//! | an address | trying one password with many users; hashing for nothing | users who have come from there before |
//! | a user, wherever it comes from | guessing with many addresses | addresses from which it has come before |
//!
//! So whoever guesses locks out neither the devices that share its address behind a router, nor the user that it guesses at: who has
//! proved itself at an address is held back there only by wrong passwords for itself. A device that stays connected is never asked.
//!
//! Tables are bounded. Names and addresses are kept as numbers that nobody outside can choose.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::base::token_bucket::TokenBucket;

/// Wrong passwords at once, and how long one more takes. A person who types, and a device with an old password that tries each second.
const PAIR: Rate = (10, Duration::from_secs(6));
/// A whole cell behind one router whose password was changed.
const ADDRESS: Rate = (100, Duration::from_secs(1));
const USER: Rate = (100, Duration::from_secs(2));

type Rate = (u32, Duration);

/// Of each table: more than a gateway has sessions, and 2 MiB.
const MAX_ENTRIES: usize = 16_384;

#[derive(Debug, Default)]
pub struct Limiter {
    tables: Mutex<Tables>,
    key: RandomState,
}

/// Who tries.
#[derive(Clone, Copy, Debug)]
pub struct Guesser {
    pair: u64,
    address: u64,
    user: u64,
}

#[derive(Debug, Default)]
struct Tables {
    pairs: HashMap<u64, Pair>,
    addresses: HashMap<u64, TokenBucket>,
    users: HashMap<u64, TokenBucket>,
}

#[derive(Debug)]
struct Pair {
    failures: TokenBucket,
    /// This user has come from this address.
    is_known: bool,
}

// === impl Limiter ===

impl Limiter {
    pub fn guesser(&self, address: IpAddr, user: &str) -> Guesser {
        let (key, address) = (&self.key, network(address));
        Guesser {
            pair: key.hash_one((0_u8, address, user)),
            address: key.hash_one((1_u8, address)),
            user: key.hash_one((2_u8, user)),
        }
    }

    /// Whether a password may be tried. Takes nothing: right or wrong is not known yet.
    pub fn permits(&self, guesser: Guesser, now: Instant) -> bool {
        self.tables().permit(guesser, now)
    }

    pub fn failed(&self, guesser: Guesser, now: Instant) {
        self.tables().failed(guesser, now);
    }

    pub fn succeeded(&self, guesser: Guesser, now: Instant) {
        self.tables().pair(guesser.pair, now).is_known = true;
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Tables ===

impl Tables {
    fn permit(&mut self, guesser: Guesser, now: Instant) -> bool {
        let has_token = |bucket: Option<&mut TokenBucket>| bucket.is_none_or(|bucket| bucket.has_token(now));
        if let Some(pair) = self.pairs.get_mut(&guesser.pair)
            && (pair.is_known || !pair.failures.has_token(now))
        {
            return pair.failures.has_token(now);
        }
        has_token(self.addresses.get_mut(&guesser.address)) && has_token(self.users.get_mut(&guesser.user))
    }

    fn failed(&mut self, guesser: Guesser, now: Instant) {
        self.pair(guesser.pair, now).failures.take(1, now);
        for (table, number, rate) in
            [(&mut self.addresses, guesser.address, ADDRESS), (&mut self.users, guesser.user, USER)]
        {
            make_room(table, number, |bucket| bucket.is_full(now));
            table.entry(number).or_insert_with(|| full(rate, now)).take(1, now);
        }
    }

    fn pair(&mut self, number: u64, now: Instant) -> &mut Pair {
        // Guesses at many names give way to who was right; the other two counts still hold them.
        make_room(&mut self.pairs, number, |pair| !pair.is_known);
        self.pairs.entry(number).or_insert_with(|| Pair { failures: full(PAIR, now), is_known: false })
    }
}

/// For one more, when there is none. When none is to be forgotten, all begin anew: an attack from as many addresses has other bounds, the
/// threads that hash (`auth/threads.rs`).
fn make_room<T>(table: &mut HashMap<u64, T>, number: u64, mut is_forgettable: impl FnMut(&mut T) -> bool) {
    if table.len() < MAX_ENTRIES || table.contains_key(&number) {
        return;
    }
    table.retain(|_, entry| !is_forgettable(entry));
    if table.len() >= MAX_ENTRIES {
        table.clear();
    }
}

fn full((burst, interval): Rate, now: Instant) -> TokenBucket {
    TokenBucket::full(burst, interval, now)
}

/// What one customer of a provider has: with IPv6 a whole /64.
pub(super) fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => u32::from(address).into(),
        // Hosts of one link are as many.
        IpAddr::V6(address) if address.is_unicast_link_local() => u128::from(address) as u64 & !(1 << 63),
        // The lower half goes on purpose.
        IpAddr::V6(address) => (u128::from(address) >> 64) as u64 | 1 << 63,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    /// So many wrong passwords, one after the other: how many were tried.
    fn guess(limiter: &Limiter, guesser: Guesser, times: usize, now: Instant) -> usize {
        (0..times).filter(|_| limiter.permits(guesser, now)).map(|_| limiter.failed(guesser, now)).count()
    }

    #[test]
    fn one_password_is_guessed_ten_times_and_then_ten_times_a_minute() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        let guesser = limiter.guesser(address(1), "a");
        assert_eq!(guess(&limiter, guesser, 10_000, now), 10);
        assert_eq!(guess(&limiter, guesser, 10_000, now + 5 * SECOND), 0);
        assert_eq!((1..=60).map(|at| guess(&limiter, guesser, 100, now + at * SECOND)).sum::<usize>(), 10);
    }

    #[test]
    fn an_address_that_tries_many_names_is_held_and_those_who_have_come_from_there_are_not() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        let known = limiter.guesser(address(1), "honest");
        limiter.succeeded(known, now);
        let tried: usize =
            (0..10_000).map(|name| guess(&limiter, limiter.guesser(address(1), &name.to_string()), 1, now)).sum();
        assert_eq!(tried, 100);
        assert!(!limiter.permits(limiter.guesser(address(1), "new"), now));
        assert!(limiter.permits(known, now) && limiter.permits(limiter.guesser(address(2), "new"), now));
        assert!(limiter.permits(limiter.guesser(address(1), "new"), now + 2 * SECOND));
    }

    #[test]
    fn a_user_that_is_guessed_at_from_everywhere_still_comes_from_where_it_always_did() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        limiter.succeeded(limiter.guesser(address(0), "victim"), now);
        let tried: usize =
            (1..10_000).map(|from| guess(&limiter, limiter.guesser(address(from), "victim"), 1, now)).sum();
        assert_eq!(tried, 100);
        assert!(limiter.permits(limiter.guesser(address(0), "victim"), now));
        assert!(limiter.permits(limiter.guesser(address(5), "another"), now));
    }

    #[test]
    fn a_right_password_is_no_guess() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        for device in 0..5_000 {
            let guesser = limiter.guesser(address(1), &device.to_string());
            assert!(limiter.permits(guesser, now));
            limiter.succeeded(guesser, now);
        }
    }

    #[test]
    fn one_customer_of_a_provider_is_one_address() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }

    #[test]
    fn the_tables_are_bounded_and_who_was_right_is_kept() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        let known = limiter.guesser(address(0), "known");
        limiter.succeeded(known, now);
        for from in 1..50_000 {
            limiter.failed(limiter.guesser(address(from), &from.to_string()), now);
        }
        let tables = limiter.tables();
        let sizes = [tables.pairs.len(), tables.addresses.len(), tables.users.len()];
        assert!(sizes.iter().all(|size| *size <= MAX_ENTRIES), "{sizes:?}");
        assert!(tables.pairs[&known.pair].is_known);
    }
}
