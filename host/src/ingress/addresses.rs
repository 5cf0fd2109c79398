//! How many connections an address has, and how fast new ones come from it.
//!
//! - Decided when a connection is accepted, or when the PROXY header has told where it comes from: before TLS, before memory, before CONNECT. So there is
//!   nothing to answer it with; it is closed.
//! - An IPv6 address counts as its /64, which is what one subscriber or one host gets; of a link-local one all hosts have the same /64, and it counts
//!   whole.
//! - Nothing is limited by rate over all addresses: that would refuse honest devices together with those that flood.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::base::clock;
use crate::base::token_bucket::TokenBucket;
use crate::config::BrokerLimits;

/// So many seconds of the rate may come at once: devices come back together when the power does.
const BURST_SECONDS: u32 = 10;

/// For addresses other than loopback, when nothing is configured: more than devices behind one router do, less than a core's worth of
/// TLS handshakes.
const DEFAULT_PER_SECOND: u32 = 100;

/// What is remembered at most, some ten megabytes. Addresses beyond it count as one.
const MAX_ADDRESSES: usize = 65_536;

/// No cleaning before there are so many.
const FEW: usize = 1_024;

/// A full table is not walked for each connection.
const CLEAN_EVERY: Duration = Duration::from_secs(1);

/// What an address may have.
#[derive(Clone, Copy, Debug)]
struct Limit {
    open: usize,
    /// None: any number.
    per_second: Option<u32>,
}

pub struct Addresses {
    /// Of all of them.
    max_connections: usize,
    table: Mutex<Table>,
}

/// What is configured counts for every address; what is not, for those of other machines: on this one runs who could stop the gateway
/// anyway, a proxy among it.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Of this machine's own.
    loopback: Limit,
    others: Limit,
}

struct Table {
    limits: Limits,
    known: HashMap<Key, Known>,
    /// With so many it is cleaned.
    clean_at: usize,
    cleaned: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    V4([u8; 4]),
    Net64(u64),
    LinkLocal(Ipv6Addr),
    /// All for which there is no room.
    Rest,
}

struct Known {
    open: usize,
    new: Option<TokenBucket>,
}

/// A connection that counts for its address until this is dropped.
pub struct Visit {
    of: Arc<Addresses>,
    key: Key,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("its address has {0} connections already: that is broker.limits.max_connections_per_address")]
    TooMany(usize),
    #[error("too many new connections of its address: broker.limits.max_new_connections_per_second is {0}")]
    TooFast(u32),
}

// === impl Addresses ===

impl Addresses {
    pub fn new(limits: &BrokerLimits, max_connections: usize) -> Arc<Self> {
        let limits = Limits::of(limits, max_connections);
        let table = Table { limits, known: HashMap::new(), clean_at: FEW, cleaned: clock::now() };
        Arc::new(Self { max_connections, table: Mutex::new(table) })
    }

    /// From now on these hold. What an address has open counts on.
    pub fn set_limits(&self, limits: &BrokerLimits, now: Instant) {
        let mut table = self.lock();
        let limits = Limits::of(limits, self.max_connections);
        table.limits = limits;
        for (key, known) in &mut table.known {
            *known = Known { open: known.open, ..Known::new(limits.of_key(*key), now) };
        }
    }

    /// Whether one more may come from there now.
    pub fn admit(self: &Arc<Self>, address: SocketAddr, now: Instant) -> Result<Visit, Refused> {
        let ip = address.ip().to_canonical();
        let mut table = self.lock();
        let limit = table.limits.of_address(ip);
        let key = table.place(Key::of(ip), now);
        let known = table.known.entry(key).or_insert_with(|| Known::new(limit, now));
        known.admit(limit, now)?;
        Ok(Visit { of: self.clone(), key })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Limits ===

impl Limits {
    fn of(limits: &BrokerLimits, max_connections: usize) -> Self {
        let loopback = Limit {
            open: limits.max_connections_per_address.unwrap_or(usize::MAX),
            per_second: limits.max_new_connections_per_second,
        };
        let others = Limit {
            // One address does not keep all others out.
            open: limits.max_connections_per_address.unwrap_or(max_connections.div_ceil(2)),
            per_second: Some(loopback.per_second.unwrap_or(DEFAULT_PER_SECOND)),
        };
        Self { loopback, others }
    }

    fn of_address(&self, ip: IpAddr) -> Limit {
        if ip.is_loopback() { self.loopback } else { self.others }
    }

    fn of_key(&self, key: Key) -> Limit {
        if key.is_loopback() { self.loopback } else { self.others }
    }
}

// === impl Table ===

impl Table {
    /// The key itself, or that of all for which there is no room.
    fn place(&mut self, key: Key, now: Instant) -> Key {
        let was_cleaned = now.saturating_duration_since(self.cleaned) < CLEAN_EVERY;
        if self.known.len() >= self.clean_at && !(self.is_full() && was_cleaned) {
            self.known.retain(|_, known| !known.is_forgotten(now));
            self.known.shrink_to(FEW);
            self.clean_at = (2 * self.known.len()).clamp(FEW, MAX_ADDRESSES);
            self.cleaned = now;
        }
        if self.is_full() && !self.known.contains_key(&key) { Key::Rest } else { key }
    }

    fn is_full(&self) -> bool {
        self.known.len() >= MAX_ADDRESSES
    }
}

// === impl Key ===

impl Key {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Self::LinkLocal(v6),
            // The upper half.
            IpAddr::V6(v6) => Self::Net64((v6.to_bits() >> 64) as u64),
        }
    }

    fn is_loopback(self) -> bool {
        match self {
            Self::V4(octets) => octets[0] == 127,
            // All that is used of this network is `::1`.
            Self::Net64(network) => network == 0,
            Self::LinkLocal(_) | Self::Rest => false,
        }
    }
}

// === impl Known ===

impl Known {
    fn new(limit: Limit, now: Instant) -> Self {
        let bucket = |per_second: u32| {
            let interval = Duration::from_secs(1) / per_second.max(1);
            TokenBucket::full(per_second.saturating_mul(BURST_SECONDS), interval, now)
        };
        Self { open: 0, new: limit.per_second.map(bucket) }
    }

    fn admit(&mut self, limit: Limit, now: Instant) -> Result<(), Refused> {
        if self.open >= limit.open {
            return Err(Refused::TooMany(limit.open));
        }
        if let (Some(new), Some(per_second)) = (&mut self.new, limit.per_second)
            && !new.take(1, now)
        {
            return Err(Refused::TooFast(per_second));
        }
        self.open += 1;
        Ok(())
    }

    /// A new one would be the same.
    fn is_forgotten(&self, now: Instant) -> bool {
        self.open == 0 && self.new.as_ref().is_none_or(|new| new.is_full(now))
    }
}

// === impl Visit ===

impl Drop for Visit {
    fn drop(&mut self) {
        let mut table = self.of.lock();
        if let Some(known) = table.known.get_mut(&self.key) {
            known.open -= 1;
            if known.open == 0 && known.new.is_none() {
                table.known.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(open: Option<usize>, per_second: Option<u32>) -> Arc<Addresses> {
        let limits = BrokerLimits {
            max_connections_per_address: open,
            max_new_connections_per_second: per_second,
            ..BrokerLimits::default()
        };
        Addresses::new(&limits, 10)
    }

    fn at(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), 1)
    }

    fn known(of: &Addresses) -> usize {
        of.lock().known.len()
    }

    #[test]
    fn an_address_has_so_many_connections_and_another_one_its_own() {
        let (of, now) = (addresses(Some(2), None), Instant::now());
        let first = of.admit(at("127.0.0.2"), now).unwrap();
        let _second = of.admit(at("127.0.0.2"), now).unwrap();
        assert_eq!(of.admit(at("127.0.0.2"), now).err(), Some(Refused::TooMany(2)));
        let _other = of.admit(at("127.0.0.3"), now).unwrap();
        drop(first);
        assert!(of.admit(at("127.0.0.2"), now).is_ok());
    }

    #[test]
    fn they_come_at_once_and_then_so_many_in_a_second() {
        let (of, now) = (addresses(None, Some(2)), Instant::now());
        let come = |ip: &str, now| (0..100).filter(|_| of.admit(at(ip), now).is_ok()).count();
        assert_eq!(come("10.0.0.1", now), 20);
        assert_eq!(of.admit(at("10.0.0.1"), now).err(), Some(Refused::TooFast(2)));
        assert_eq!(come("10.0.0.2", now), 20);
        assert_eq!(come("10.0.0.1", now + Duration::from_secs(3)), 6);
    }

    #[test]
    fn without_a_word_this_machine_has_no_limit_and_another_one_half_of_all_places() {
        let (of, now) = (addresses(None, None), Instant::now());
        let come = |ip: &str| (0..1_000).filter_map(|_| of.admit(at(ip), now).ok()).collect::<Vec<_>>().len();
        assert_eq!((come("127.0.0.1"), come("::1"), come("::ffff:127.0.0.9")), (1_000, 1_000, 1_000));
        assert_eq!((come("192.168.1.7"), come("fd00::7")), (5, 5));
    }

    #[test]
    fn an_ipv6_address_is_its_64_bits_of_network_unless_it_is_link_local() {
        let (of, now) = (addresses(Some(1), None), Instant::now());
        let mut visits = Vec::new();
        let mut comes = |ip: &str| of.admit(at(ip), now).map(|visit| visits.push(visit)).is_ok();
        assert!(comes("2001:db8:1:2::1") && !comes("2001:db8:1:2:ffff::9") && comes("2001:db8:1:3::1"));
        assert!(comes("fe80::1") && comes("fe80::2") && !comes("fe80::2"));
        assert!(comes("10.1.2.3") && !comes("::ffff:10.1.2.3"));
    }

    #[test]
    fn the_table_has_an_end_and_forgets_who_is_gone() {
        let (of, now) = (addresses(None, Some(1)), Instant::now());
        let come = |from: u32, count: u32, now| {
            let address = |number: u32| SocketAddr::new(IpAddr::from(number.to_be_bytes()), 1);
            (from..from + count).filter(|number| of.admit(address(*number), now).is_ok()).count()
        };
        let many = u32::try_from(MAX_ADDRESSES).unwrap();
        assert_eq!(come(0x0A00_0000, many, now), MAX_ADDRESSES);
        // What is beyond it has the burst of one address.
        assert_eq!(come(0x0B00_0000, many, now), 10);
        assert!(known(&of) <= MAX_ADDRESSES + 1);
        let later = now + Duration::from_secs(10);
        assert_eq!(come(0x0B00_0000, 2 * FEW as u32, later), 2 * FEW);
        assert!(known(&of) <= 3 * FEW, "{}", known(&of));
    }

    #[test]
    fn without_a_rate_only_who_is_there_is_remembered() {
        let (of, now) = (addresses(Some(9), None), Instant::now());
        let visits: Vec<_> = (1..9).map(|host| of.admit(at(&format!("127.0.0.{host}")), now).unwrap()).collect();
        assert_eq!(known(&of), 8);
        drop(visits);
        assert_eq!(known(&of), 0);
    }
}
